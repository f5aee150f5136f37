#include "tools/desk.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ipc/role.h"
#include "tools/command.h"

static hwal_lane_t *lease(hwal_t *h, const char *client)
{
    const int64_t until = role_mono_ns() + DESK_LANE_NS;
    for (;;) {
        hwal_lane_t *lane = hwal_lane_open(h, client, DESK_ANSWER_NS);
        if (lane || hwal_error_code() != HWAL_EXISTS || role_mono_ns() > until) {
            return lane;
        }
        nanosleep(&(struct timespec){.tv_nsec = 20 * NS_PER_MS}, NULL);
    }
}

int desk_open(desk_t *d, const char *command, const attach_args_t *args, const char *client)
{
    attach_t  a;
    char      user[24];
    const int rc = attach_begin(command, args, &a);
    *d           = (desk_t){.command = command};
    if (rc != EXIT_OK) {
        return rc;
    }
    if (attach_stale(&a)) {
        return attach_end(command, &a);
    }
    snprintf(user, sizeof user, "%u", (unsigned)args->uid);
    d->h = hwal_attach(a.instance, user);
    attach_close(&a);
    if (!d->h) {
        return command_error(command, EXIT_NOT_RUNNING, "%s", hwal_error());
    }
    d->a    = &d->h->a;
    d->lane = lease(d->h, client);
    if (!d->lane) {
        const int code = hwal_error_code() == HWAL_STATE ? EXIT_NOT_RUNNING : EXIT_FINDING;
        command_error(command, code, "%s", hwal_error());
        hwal_detach(d->h);
        return code;
    }
    hwal_lane_identity(d->lane, &d->who);
    return EXIT_OK;
}

void desk_close(desk_t *d)
{
    hwal_lane_close(d->lane);
    hwal_detach(d->h);
}

bool desk_next(desk_t *d, int64_t timeout_ns, hwal_message_t *out)
{
    hwal_err_t err = hwal_lane_next(d->lane, out);
    if (err == HWAL_EMPTY && hwal_lane_wait(d->lane, 0, timeout_ns) == HWAL_OK) {
        err = hwal_lane_next(d->lane, out);
    }
    return err == HWAL_OK;
}

int desk_ended(const desk_t *d)
{
    const uint32_t reason = hwal_lane_reason(d->lane);
    return reason ? command_error(d->command, EXIT_FINDING,
                                  "the engine ended our lane (%s); whether it took what was sent, `hwal tail` and the "
                                  "journal tell",
                                  hwal_reason_name(reason))
                  : command_error(d->command, EXIT_FINDING,
                                  "no answer within %d s; whether it was taken, `hwal tail` and the journal tell",
                                  (int)(DESK_ANSWER_NS / NS_PER_S));
}

bool desk_account(desk_t *d, uint32_t account_id, account_record_t *out)
{
    records_reader_t reader;
    attach_message_t m;
    if (account_id == 0 || !attach_records(d->a, RECORD_ID_ACCOUNTS, &reader) || account_id > reader.count ||
        attach_record(d->a, &reader, account_id - 1, &m) != ERR_OK || m.msg.type != MSG_ACCOUNT) {
        return false;
    }
    memcpy(out, m.msg.body, sizeof *out);
    return true;
}

bool desk_ask(const char *question, const char *word)
{
    char line[64] = "";
    if (!isatty(STDIN_FILENO)) {
        return false;
    }
    fprintf(stderr, "%s: type %s to confirm: ", question, word);
    if (!fgets(line, sizeof line, stdin)) {
        return false;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return strcmp(line, word) == 0;
}
