/* hwal operate: what only a named person may do: lift a latched loss, enable a strategy, settle an account, reduce only. */
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "tools/audit.h"
#include "tools/command.h"
#include "tools/config.h"
#include "tools/desk.h"

static int usage(FILE *to)
{
    fputs("usage: hwal operate WHAT ID --reason TEXT [OPTIONS]\n\n"
          "What waits for a person, done in his name: who and why go into the journal (hwal audit).\n\n"
          "  settle ACCOUNT         take the venues' positions for ours (152): the difference is booked at the mark "
          "that is worse\n"
          "  clear-latch ACCOUNT    let an account trade again that a loss limit stopped (251, 252, 253)\n"
          "  enable STRATEGY        let a strategy trade again that 276 or 279 stopped\n"
          "  reduce-only ACCOUNT    only towards flat from now on; --clear: no longer\n\n" ATTACH_HELP
          "  --clear           of reduce-only: lift it\n"
          "  --reason TEXT     why, 1 to 100 bytes\n"
          "  --client NAME     the lane to use (default: operator)\n\n"
          "exit codes: 0 done, 1 refused (the sentence says why), 2 usage, 3 not running, 4 stale\n\n"
          "examples:\n"
          "  hwal operate settle 1 --reason \"fills of 14:02 were busted, confirmed by the exchange\"\n"
          "  hwal operate enable 3 --reason \"quoting loop mended, build 7f3a\"\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

static const struct {
    const char    *name;
    control_kind_t kind;
    scope_t        scope;
} acts[] = {
    {"settle", CONTROL_SETTLE, SCOPE_ACCOUNT},
    {"clear-latch", CONTROL_CLEAR_LATCH, SCOPE_ACCOUNT},
    {"enable", CONTROL_ENABLE, SCOPE_STRATEGY},
    {"reduce-only", CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT},
};

static int act(desk_t *desk, const operate_t *op, const char *name, const char *reason)
{
    hwal_message_t m;
    if (hwal_lane_operate(desk->lane, op, reason) != HWAL_OK) {
        return command_error("operate", EXIT_FINDING, "%s", hwal_error());
    }
    while (desk_next(desk, DESK_ANSWER_NS, &m)) {
        const audit_t *audit = m.body;
        if (m.type != MSG_AUDIT) {
            continue;
        }
        if (audit->kind == AUDIT_REFUSED) {
            return command_error("operate", EXIT_FINDING, "%s %" PRIu32 ": refused: %s", name, op->scope_id,
                                 audit_refusal(audit));
        }
        printf("%s %" PRIu32 ": done, audit %" PRIu64 "\n", name, op->scope_id, audit->audit_seq);
        return EXIT_OK;
    }
    return desk_ended(desk);
}

int command_operate(int argc, char **argv)
{
    static const struct option options[] = {ATTACH_OPTIONS,
                                            {"clear", no_argument, NULL, 'c'},
                                            {"reason", required_argument, NULL, 'r'},
                                            {"client", required_argument, NULL, 'n'},
                                            {0}};
    attach_args_t              args;
    const char                *reason = NULL, *client = CONFIG_OPERATOR;
    bool                       clear = false;
    uint32_t                   id;
    size_t                     at = 0;
    desk_t                     desk;
    attach_args(&args);
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (c) {
        case 'h': return usage(stdout);
        case 'c': clear = true; break;
        case 'r': reason = optarg; break;
        case 'n': client = optarg; break;
        default:
            if (!attach_option(&args, c)) {
                return command_unknown("operate", argv);
            }
        }
    }
    if (argc - optind != 2) {
        return usage(stderr);
    }
    while (at < sizeof acts / sizeof acts[0] && strcmp(argv[optind], acts[at].name) != 0) {
        at++;
    }
    if (at == sizeof acts / sizeof acts[0]) {
        return command_error("operate", EXIT_USAGE, "%s: not one of settle, clear-latch, enable, reduce-only",
                             argv[optind]);
    }
    if (!attach_number(argv[optind + 1], 1, UINT32_MAX, &id)) {
        return command_error("operate", EXIT_USAGE, "%s: the number of an account or a strategy", argv[optind + 1]);
    }
    if (!reason || !*reason || strlen(reason) > REASON_MAX || (clear && acts[at].kind != CONTROL_REDUCE_ONLY)) {
        return command_error("operate", EXIT_USAGE,
                             "--reason TEXT (1 to %d bytes) is wanted; --clear is of reduce-only", REASON_MAX);
    }
    int rc = desk_open(&desk, "operate", &args, client);
    if (rc != EXIT_OK) {
        return rc;
    }
    const operate_t op = {.kind       = (uint8_t)acts[at].kind,
                          .scope_type = (uint8_t)acts[at].scope,
                          .scope_id   = id,
                          .value      = clear || acts[at].kind == CONTROL_CLEAR_LATCH ? 0 : 1};
    rc                 = act(&desk, &op, acts[at].name, reason);
    desk_close(&desk);
    return rc;
}
