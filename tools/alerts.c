/* hwal alerts: what a person must see, and the word that one has. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/risk/risk_code.h"
#include "core/types/decimal.h"
#define HWAL_IN_TREE
#include "ipc/hwal.h"
#include "tools/audit.h"
#include "tools/command.h"
#include "tools/describe.h"
#include "tools/desk.h"
#include "tools/views.h"

#define ANSWER_WAIT_NS (2 * NS_PER_S)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int usage(FILE *to)
{
    fputs("usage: hwal alerts [OPTIONS]\n"
          "       hwal alerts --ack ID|all --reason TEXT [OPTIONS]\n\n"
          "Alarms of one kind, code, account and instrument are one alert, counted, until somebody has acknowledged "
          "it. What\n"
          "comes after that is a new one. Who acknowledged what stands in the audit (hwal audit).\n\n" ATTACH_HELP
          "  --csv             comma-separated values\n"
          "  --all             acknowledged ones, too\n"
          "  --ack ID|all      acknowledge one, or all that are open now\n"
          "  --reason TEXT     why: it goes into the journal\n"
          "  --client NAME     the lane to use (default: operator)\n\n"
          "exit codes: 0 none is open (--ack: done), 1 some are (--ack: refused), 2 usage, 3 not running, 4 stale\n\n"
          "examples:\n"
          "  hwal alerts\n"
          "  hwal alerts --ack 7 --reason \"feed of the exchange was down, seen with them\"\n"
          "  hwal alerts --json --all | jq '.alerts[].kind'\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

typedef struct alerts_cmd {
    attach_args_t args;
    const char   *ack;
    const char   *reason;
    const char   *client;
    bool          all;
} alerts_cmd_t;

/* ---- the list ------------------------------------------------------------------------------------------------------ */
/* Of an alarm about a feed the code is a feed reason, else a code of risk; 0 = there is none. */
static const char *code_name(const alert_t *alert)
{
    return alert->kind == ALARM_FEED ? feed_reason_str((feed_reason_t)alert->code)
           : alert->code             ? risk_code_str(alert->code)
                                     : "";
}

/* Of a soft limit, or of an order that was held and denied, observed and limit are those of a verdict, in the unit of the
 * code; where the scale is not known they stay whole numbers. */
static void put_figures(json_t *row, const attach_t *a, const alert_t *alert)
{
    const bool      judged = alert->kind == ALARM_SOFT_LIMIT || alert->kind == ALARM_HELD;
    const char     *unit   = judged ? risk_code_unit(alert->code) : "";
    const verdict_t v      = {
             .observed = alert->observed, .limit = alert->limit, .instrument_id = alert->instrument_id, .code = alert->code};
    json_t *said = json_object();
    describe_fields(said, a, &(msg_t){.type = MSG_VERDICT, .body = &v});
    const bool known = *unit && json_is_string(json_object_get(said, "observed"));
    if (known) {
        json_object_set(row, "observed", json_object_get(said, "observed"));
        json_object_set(row, "limit", json_object_get(said, "limit"));
    }
    json_object_set_new(row, "unit", json_string(unit));
    json_decref(said);
}

static json_t *alert_json(const attach_t *a, const msg_t *msg)
{
    const alert_t *alert = msg->body;
    char           text[64];
    json_t        *row = json_object();
    json_object_set_new(row, "symbol", json_null()); /* of those that are of no instrument */
    describe_fields(row, a, msg);
    json_object_set_new(row, "code_name", json_string(code_name(alert)));
    put_figures(row, a, alert);
    describe_time(alert->first_utc_ns, text);
    json_object_set_new(row, "first_utc", json_string(text));
    describe_time(alert->last_utc_ns, text);
    json_object_set_new(row, "last_utc", json_string(text));
    json_object_set_new(row, "user",
                        alert->state == ALERT_ACKED ? command_text(audit_user(alert->user_id, text)) : json_null());
    return row;
}

static int newest_first(const void *a, const void *b)
{
    const uint64_t x = ((const alert_t *)a)->alert_id, y = ((const alert_t *)b)->alert_id;
    return x > y ? -1 : x < y;
}

static json_t *collect(attach_t *a, bool all, uint32_t *open)
{
    json_t          *rows = json_array();
    records_reader_t reader;
    attach_message_t m;
    alert_t          found[ENGINE_ALERTS_MAX];
    uint32_t         count = 0;
    *open                  = 0;
    if (!attach_records(a, RECORD_ID_ALERTS, &reader)) {
        return rows;
    }
    for (uint32_t i = 0; i < ENGINE_ALERTS_MAX; i++) {
        if (attach_record(a, &reader, i, &m) == ERR_OK && m.msg.type == MSG_ALERT) {
            found[count] = *(const alert_t *)m.msg.body;
            *open += found[count].state == ALERT_OPEN;
            count += all || found[count].state == ALERT_OPEN;
        }
    }
    qsort(found, count, sizeof found[0], newest_first);
    for (uint32_t i = 0; i < count; i++) {
        json_array_append_new(rows, alert_json(a, &(msg_t){.type = MSG_ALERT, .body = &found[i]}));
    }
    return rows;
}

static int show(const alerts_cmd_t *k)
{
    static const column_t columns[] = {
        {"alert_id", "alert", COLUMN_NUMBER},    {"state", "state", COLUMN_STATE},
        {"severity", "severity", COLUMN_TEXT},   {"kind", "kind", COLUMN_TEXT},
        {"code_name", "code", COLUMN_TEXT},      {"account_id", "account", COLUMN_NUMBER},
        {"symbol", "symbol", COLUMN_TEXT},       {"count", "count", COLUMN_NUMBER},
        {"observed", "observed", COLUMN_NUMBER}, {"limit", "limit", COLUMN_NUMBER},
        {"unit", "unit", COLUMN_TEXT},           {"first_utc", "first", COLUMN_TEXT},
        {"last_utc", "last", COLUMN_TEXT},       {"user", "by", COLUMN_TEXT}};
    attach_t  a;
    uint32_t  open  = 0;
    const int begun = attach_begin("alerts", &k->args, &a);
    if (begun != EXIT_OK) {
        return begun;
    }
    json_t *rows = collect(&a, k->all, &open);
    if (k->args.csv) {
        table_csv(stdout, columns, COUNT(columns), rows);
    } else if (k->args.json) {
        json_t *view = view_head(&a);
        json_object_set(view, "alerts", rows);
        table_json(stdout, view);
        json_decref(view);
    } else if (json_array_size(rows) == 0) {
        puts(k->all ? "no alert so far" : "no alert is open");
    } else {
        table_text(stdout, columns, COUNT(columns), rows, command_colour(stdout));
    }
    json_decref(rows);
    const int rc = attach_end("alerts", &a);
    return rc == EXIT_OK && open ? EXIT_FINDING : rc;
}

/* ---- acknowledging ------------------------------------------------------------------------------------------------- */
/* Each alert that was acknowledged comes back as an AUDIT; one that was refused as an AUDIT of that kind. */
static int answers(hwal_lane_t *lane, uint64_t target)
{
    hwal_message_t m;
    uint64_t       done = 0;
    while (hwal_lane_wait(lane, 0, done ? NS_PER_S / 10 : ANSWER_WAIT_NS) == HWAL_OK) {
        while (hwal_lane_next(lane, &m) == HWAL_OK) {
            const audit_t *audit = m.body;
            if (m.type != MSG_AUDIT) {
                continue;
            }
            if (audit->kind == AUDIT_REFUSED) {
                char which[32] = "all";
                if (target != 0) {
                    snprintf(which, sizeof which, "%" PRIu64, target);
                }
                return command_error("alerts", EXIT_FINDING, "--ack %s: refused: %s%s", which, audit_refusal(audit),
                                     audit->field == ERR_NOT_FOUND         ? ": none of this number is open (--all)"
                                     : audit->field == RISK_NOT_AUTHORISED ? ": the client has no right to operate"
                                                                           : "");
            }
            if (audit->kind == AUDIT_ALERT) {
                printf("alert %" PRIu64 " acknowledged\n", audit->change_id);
                done++;
            }
            if (target != 0 && done) {
                return EXIT_OK;
            }
        }
    }
    if (!done && target != 0) {
        return command_error("alerts", EXIT_FINDING, "alert %" PRIu64 ": the engine did not answer", target);
    }
    if (!done) {
        puts("no alert is open");
    }
    return EXIT_OK;
}

static int acknowledge(const alerts_cmd_t *k)
{
    int64_t target = 0;
    if (strcmp(k->ack, "all") != 0 && (decimal_parse(k->ack, strlen(k->ack), 0, &target) != ERR_OK || target <= 0)) {
        return command_error("alerts", EXIT_USAGE, "--ack %s: the number of an alert, or all", k->ack);
    }
    if (!k->reason || !k->reason[0] || strlen(k->reason) > REASON_MAX) {
        return command_error("alerts", EXIT_USAGE, "--ack wants --reason TEXT, 1 to %d bytes", REASON_MAX);
    }
    desk_t d;
    int    rc = desk_open(&d, "alerts", &k->args, k->client);
    if (rc != EXIT_OK) {
        return rc;
    }
    const operate_t op = {
        .kind = CONTROL_ALERT_ACK, .scope_type = SCOPE_GLOBAL, .target = (uint64_t)target, .value = 1};
    rc = hwal_lane_operate(d.lane, &op, k->reason) == HWAL_OK
             ? answers(d.lane, (uint64_t)target)
             : command_error("alerts", EXIT_FINDING, "%s", hwal_error());
    desk_close(&d);
    return rc;
}

int command_alerts(int argc, char **argv)
{
    static const struct option options[] = {ATTACH_OPTIONS,
                                            {"all", no_argument, NULL, 'a'},
                                            {"ack", required_argument, NULL, 'k'},
                                            {"reason", required_argument, NULL, 'r'},
                                            {"client", required_argument, NULL, 'c'},
                                            {0}};
    alerts_cmd_t               k         = {.client = "operator"};
    attach_args(&k.args);
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (c) {
        case 'h': return usage(stdout);
        case 'a': k.all = true; break;
        case 'k': k.ack = optarg; break;
        case 'r': k.reason = optarg; break;
        case 'c': k.client = optarg; break;
        case '?': return command_unknown("alerts", argv);
        default:
            if (!attach_option(&k.args, c)) {
                return usage(stderr);
            }
        }
    }
    if (optind < argc) {
        return usage(stderr);
    }
    return k.ack ? acknowledge(&k) : show(&k);
}
