#include "tools/attach_args.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/command.h"

void attach_args(attach_args_t *args)
{
    const char *named = getenv("HWAL_INSTANCE");
    *args             = (attach_args_t){.uid = getuid()};
    snprintf(args->instance, sizeof args->instance, "%s", named ? named : "");
    opterr = 0;
    optind = 1;
}

bool attach_option(attach_args_t *args, int c)
{
    switch (c) {
    case 'I': return snprintf(args->instance, sizeof args->instance, "%s", optarg) < (int)sizeof args->instance;
    case 'U': return attach_user(optarg, &args->uid);
    case 'J': return args->json = true;
    case 'C': return args->csv = true;
    case 'O': return args->once = true;
    default: return false;
    }
}

int attach_begin(const char *command, const attach_args_t *args, attach_t *a)
{
    char instance[40], list[1024];
    attach_which(args->uid, args->instance, args->words_do, instance, list, sizeof list);
    err_t err = attach_open(a, instance, args->uid);
    if (err == ERR_OK && (attach_left(a) || args->words_do)) {
        return EXIT_OK;
    }
    if (err == ERR_OK) {
        attach_close(a);
        err = err_set(ERR_NOT_FOUND, "nothing but its kill words is left");
    }
    if (err == ERR_ARG) {
        return command_error(command, EXIT_USAGE, "%s", err_msg());
    }
    if (*args->instance == '\0' && err == ERR_NOT_FOUND) {
        return command_error(command, EXIT_NOT_RUNNING, "%s of user %u %s%s", *list ? "which instance" : "no instance",
                             (unsigned)args->uid,
                             *list ? "is meant? Name one with --instance: " : "runs here; `hwal run` starts one", list);
    }
    return command_error(command, EXIT_NOT_RUNNING, "no instance \"%s\" of user %u runs here (%s); %s%s", instance,
                         (unsigned)args->uid, err_msg(), *list ? "there are: " : "there is none; `hwal run` starts one",
                         list);
}

int attach_end(const char *command, attach_t *a)
{
    const bool    stale = attach_stale(a);
    const int64_t age   = attach_age_ns(a, ROLE_ENGINE);
    if (a->damaged != 0) {
        command_error(command, EXIT_OK, "%" PRIu64 " records or messages could not be read whole (their writer died)",
                      a->damaged);
    }
    const int whole = a->refused[0] == '\0' ? EXIT_OK : command_error(command, EXIT_FINDING, "%s", a->refused);
    attach_close(a);
    if (!stale) {
        return whole;
    }
    if (age < 0) {
        return command_error(command, EXIT_STALE, "instance \"%s\": its engine has not begun", a->instance);
    }
    return command_error(command, EXIT_STALE,
                         "instance \"%s\": its engine's last heartbeat is %" PRId64 ".%" PRId64
                         " s old; this is what it left",
                         a->instance, (int64_t)(age / NS_PER_S), (int64_t)(age / (NS_PER_S / 10) % 10));
}
