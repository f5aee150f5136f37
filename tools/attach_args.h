/* attach_args: what the commands that look at an instance have in common: their options, how they begin and how they end.
 *
 * Exit codes  3 when there is no such instance (the sentence names those there are); 4 when it is there but the engine's
 *             heartbeat is older than ATTACH_STALE_NS: what can be read is printed all the same, as evidence. */
#pragma once

#include <getopt.h>
#include <stdbool.h>

#include "ipc/attach.h"

typedef struct attach_args {
    char  instance[40]; /* "": none named */
    uid_t uid;
    bool  json;
    bool  csv;
    bool  once;
    bool  words_do; /* kill: an instance of which only its words are left is one too */
} attach_args_t;

#define ATTACH_OPTIONS                                                                                                 \
    {"instance", required_argument, NULL, 'I'}, {"user", required_argument, NULL, 'U'},                                \
        {"json", no_argument, NULL, 'J'}, {"csv", no_argument, NULL, 'C'}, {"once", no_argument, NULL, 'O'},           \
    {                                                                                                                  \
        "help", no_argument, NULL, 'h'                                                                                 \
    }
#define ATTACH_HELP                                                                                                    \
    "  --instance NAME   which one (default: HWAL_INSTANCE, else the only one that lives)\n"                           \
    "  --user NAME|UID   whose instance (default: yours; others' are readable by their group)\n"                       \
    "  --json            one JSON object for programs\n"

/* attach_args: defaults. attach_option: one answer c of getopt_long; false when it is none of ATTACH_OPTIONS or its
 * value is bad. Help (h) is the command's own. */
void attach_args(attach_args_t *args);
bool attach_option(attach_args_t *args, int c);

/* attach_begin: open what args name, telling on stderr what is wrong; returns EXIT_OK, _USAGE or _NOT_RUNNING.
 * attach_end: close, and the command's exit code: EXIT_STALE with a sentence on stderr when the engine is silent. */
int attach_begin(const char *command, const attach_args_t *args, attach_t *a);
int attach_end(const char *command, attach_t *a);
