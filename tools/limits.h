/* limits: what the sub-commands of `hwal limits` share: scopes and values between text and numbers of a live instance.
 *
 *   limits.c          get, set, ask, approve, revoke: through a lane (tools/desk.h)
 *   limits_history.c  history, diff: from the AUDIT records of the journal, and from files
 *
 * A file of limits is YAML: `limits:` and lines "SCOPE FIELD=VALUE ...", as `hwal limits get --yaml` writes it and as a
 * configuration has it. Threads: one. */
#pragma once

#include "tools/attach_args.h"
#include "tools/limit_text.h"

#define LIMITS_VALUES_MAX 64u     /* of one change */
#define LIMITS_FIELDS_END 0xFFFFu /* field of the last answer to LIMIT_STEP_GET */

typedef struct limits_value {
    limit_scope_t scope; /* resolved: ids */
    uint32_t      field;
    int64_t       value;
} limits_value_t;

typedef struct limits_list {
    uint32_t       count;
    limits_value_t values[LIMITS_VALUES_MAX];
} limits_list_t;

typedef struct limits_cmd {
    attach_args_t args;
    const char   *client;
    const char   *reason;
    const char   *until;
    const char   *file;
    const char   *dir;      /* of the journal */
    const char   *config;   /* likewise, of an instance that is configured elsewhere */
    uint32_t      from, to; /* versions */
    bool          yaml, yes;
} limits_cmd_t;

/* limits_scope: a scope that was written, with its ids. ERR_ARG, ERR_NOT_FOUND. limits_scale: of its figures. limits_symbol:
 * the scope of a record, with its symbol. */
err_t         limits_scope(const attach_t *a, const char *text, size_t len, limit_scope_t *out);
limit_scale_t limits_scale(attach_t *a, const limit_scope_t *scope);
limit_scope_t limits_symbol(const attach_t *a, uint8_t type, uint32_t id1, uint32_t id2);

/* limits_line: one line, or limits_words: words of a command line ("account:1" "max_gross=5" ...), into list. limits_file:
 * all lines of a file; sentences name file and line. ERR_LIMIT: more than LIMITS_VALUES_MAX. */
err_t limits_line(attach_t *a, const char *line, limits_list_t *list);
err_t limits_words(attach_t *a, char **words, int count, limits_list_t *list);
err_t limits_file(attach_t *a, const char *file, limits_list_t *list);

/* The sub-commands of limits_history.c; words: what stands behind the options. */
int limits_history(const limits_cmd_t *k, char **words, int count);
int limits_diff(const limits_cmd_t *k, char **words, int count);
