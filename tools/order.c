/* hwal order: send, change and cancel orders of every type by a lane, and say what became of them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/risk/risk_code.h"
#include "core/types/decimal.h"
#include "ipc/role.h"
#include "tools/command.h"
#include "tools/order_answer.h"
#include "tools/order_spec.h"
#include "tools/views.h"

#define CANCEL_WAIT_S 30u

typedef struct order_cmd {
    attach_args_t args;
    const char   *client;
    const char   *take_profit, *stop_loss;
    bool          bracket, dry_run, yes, wait;
    uint32_t      wait_s; /* 0 = as long as it takes */
    mass_cancel_t scope;
    const char   *instrument; /* of cancel-all */
} order_cmd_t;

enum {
    OPTION_CLIENT = ORDER_SPEC_END,
    OPTION_WAIT,
    OPTION_DRY_RUN,
    OPTION_YES,
    OPTION_BRACKET,
    OPTION_TAKE_PROFIT,
    OPTION_STOP_LOSS,
    OPTION_QTY,
    OPTION_INSTRUMENT,
    OPTION_STRATEGY,
    OPTION_VENUE,
    OPTION_SIDE
};
#define OWN_OPTIONS                                                                                                    \
    {"client", required_argument, NULL, OPTION_CLIENT}, {"wait", optional_argument, NULL, OPTION_WAIT},                \
        {"dry-run", no_argument, NULL, OPTION_DRY_RUN},                                                                \
    {                                                                                                                  \
        "yes", no_argument, NULL, OPTION_YES                                                                           \
    }

static int usage(FILE *to)
{
    fputs("usage: hwal order new SYMBOL buy|sell QTY [TERMS] [--oco|--oto|--ouo|--ouo-proportional buy|sell QTY "
          "[TERMS]]...\n"
          "       hwal order replace CLORDID [--qty QTY] [--limit PX] [--stop PX] [--trail D] [--display QTY] [--until "
          "T]\n"
          "       hwal order cancel CLORDID...\n"
          "       hwal order cancel-all [--account ID] [--strategy ID] [--instrument SYMBOL] [--venue ID] [--side "
          "buy|sell]\n"
          "       hwal order list [--all]\n"
          "       hwal order types\n\n"
          "terms of an order; numbers are exact decimals on tick and lot, times are UTC:\n"
          "  (nothing)           market, within the collar\n"
          "  --limit PX          limit; with --stop, --trail, --touch the price after the trigger\n"
          "  --market-to-limit   what the first fills leave rests at their price\n"
          "  --stop PX           stop;  --trail DISTANCE  trailing stop (--stop: where it begins)\n"
          "  --touch PX          market, or limit, if touched\n"
          "  --trigger last|best|mid    what must reach it (default last)\n"
          "  --tif day|gtc|ioc|fok|gtd|opg|atc    (default day; market ioc);  --until 15:30 | 2026-01-31T15:30 | +90m\n"
          "  --post-only  --reduce-only  --open  --close    (the last two in hedging accounts)\n"
          "  --display QTY       at most so much is seen\n"
          "  --algo twap|vwap --over 10m [--slices N];  --algo iceberg --display QTY\n"
          "  --bracket --take-profit PX --stop-loss PX    two more orders that close it, one cancels the other\n"
          "  --account ID        (default: the client's, if it has just one)\n"
          "  --user-ref TEXT     up to 16 bytes, as correlation id\n\n" ATTACH_HELP
          "  --client NAME       whose lane (default operator)\n"
          "  --wait[=SECONDS]    until it is done (cancel, cancel-all: until none is open)\n"
          "  --dry-run           ask risk, send nothing\n"
          "  --yes               do not ask (cancel-all)\n\n"
          "exit codes: 0 accepted (--wait: filled, or cancelled as asked), 1 denied or ended otherwise, 2 usage, 3 not "
          "running,\n"
          "            4 stale\n\n"
          "examples:\n"
          "  hwal order new BTC-USDT buy 0.5 --limit 61000 --tif gtd --until 15:30\n"
          "  hwal order new BTC-USDT buy 0.5 --limit 61000 --bracket --take-profit 64000 --stop-loss 59500\n"
          "  hwal order new BTC-USDT sell 0.5 --limit 65000 --oco sell 0.5 --stop 58000\n"
          "  hwal order new BTC-USDT buy 2 --algo twap --over 10m --slices 20\n"
          "  hwal order cancel-all --account 1 --yes\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

static int fail(int code)
{
    return command_error("order", code, "%s", err_msg());
}

/* ---- options that all of them have ------------------------------------------------------------------------------------- */
/* -1: taken; else an exit code. */
static int own_option(order_cmd_t *k, int c, char **argv)
{
    switch (c) {
    case 'h': return usage(stdout);
    case OPTION_CLIENT: k->client = optarg; return -1;
    case OPTION_DRY_RUN: k->dry_run = true; return -1;
    case OPTION_YES: k->yes = true; return -1;
    case OPTION_WAIT:
        k->wait = true;
        return !optarg || attach_number(optarg, 0, 86400 * 7, &k->wait_s)
                   ? -1
                   : command_error("order", EXIT_USAGE, "--wait=%s: seconds from 0 to 604800", optarg);
    default: return attach_option(&k->args, c) ? -1 : command_unknown("order", argv);
    }
}

/* ---- new ----------------------------------------------------------------------------------------------------------------- */
static const struct {
    const char   *word;
    contingency_t contingency;
} joints[] = {{"--oco", CONTINGENCY_OCO},
              {"--oto", CONTINGENCY_OTO},
              {"--ouo", CONTINGENCY_OUO_ABSOLUTE},
              {"--ouo-proportional", CONTINGENCY_OUO_PROPORTIONAL}};

static contingency_t joint(const char *word)
{
    for (size_t i = 0; i < sizeof joints / sizeof joints[0]; i++) {
        if (strcmp(word, joints[i].word) == 0) {
            return joints[i].contingency;
        }
    }
    return CONTINGENCY_NONE;
}

typedef struct legs {
    order_spec_t  spec[ORDER_LEGS_MAX];
    contingency_t before[ORDER_LEGS_MAX]; /* the word in front of it */
    uint32_t      count;
} legs_t;

/* One order's words: argv[0] is not looked at, argv[argc] must be free. -1: taken. */
static int leg_take(order_cmd_t *k, legs_t *legs, int argc, char **argv)
{
    static const struct option options[] = {ATTACH_OPTIONS,
                                            OWN_OPTIONS,
                                            ORDER_SPEC_OPTIONS,
                                            {"bracket", no_argument, NULL, OPTION_BRACKET},
                                            {"take-profit", required_argument, NULL, OPTION_TAKE_PROFIT},
                                            {"stop-loss", required_argument, NULL, OPTION_STOP_LOSS},
                                            {0}};
    order_spec_t              *spec      = &legs->spec[legs->count];
    *spec                                = (order_spec_t){0};
    optind                               = 0; /* getopt begins anew */
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == OPTION_BRACKET) {
            k->bracket = true;
        } else if (c == OPTION_TAKE_PROFIT) {
            k->take_profit = optarg;
        } else if (c == OPTION_STOP_LOSS) {
            k->stop_loss = optarg;
        } else if (!order_spec_option(spec, c, optarg)) {
            const int rc = own_option(k, c, argv);
            if (rc != -1) {
                return rc;
            }
        }
    }
    const int words = argc - optind, wanted = legs->count == 0 ? 3 : 2;
    if (words != wanted && words != 3) {
        return command_error("order", EXIT_USAGE, "order %u: %sSIDE and QTY are wanted, %d words were given (--help)",
                             legs->count + 1, wanted == 3 ? "SYMBOL, " : "", words);
    }
    spec->symbol = words == 3 ? argv[optind] : legs->spec[0].symbol;
    spec->side   = argv[argc - 2];
    spec->qty    = argv[argc - 1];
    legs->count++;
    return -1;
}

static int legs_take(order_cmd_t *k, legs_t *legs, int argc, char **argv)
{
    *legs     = (legs_t){0};
    int start = 0;
    for (int i = 1; i <= argc; i++) {
        const contingency_t here = i < argc ? joint(argv[i]) : CONTINGENCY_NONE;
        if (i < argc && here == CONTINGENCY_NONE) {
            continue;
        }
        if (legs->count == ORDER_LEGS_MAX) {
            return command_error("order", EXIT_USAGE, "more than %u orders in one list", ORDER_LEGS_MAX);
        }
        char *end = argv[i];
        argv[i]   = NULL;
        int rc    = leg_take(k, legs, i - start, argv + start);
        argv[i]   = end;
        if (rc != -1) {
            return rc;
        }
        start = i;
        if (i < argc && legs->count < ORDER_LEGS_MAX) {
            legs->before[legs->count] = here;
        }
    }
    return -1;
}

/* The contingency of each from the words between them: all OCO or OUO, or first OTO and the others by their own word. */
static err_t contingencies(const legs_t *legs, order_terms_req_t *req)
{
    const contingency_t first = legs->count > 1 ? legs->before[1] : CONTINGENCY_NONE;
    const contingency_t rest  = first == CONTINGENCY_OTO && legs->count > 2 ? legs->before[2]
                                : first == CONTINGENCY_OTO                  ? CONTINGENCY_NONE
                                                                            : first;
    for (uint32_t i = 1; i < legs->count; i++) {
        const bool child = first == CONTINGENCY_OTO && i == 1;
        if (!child && legs->before[i] != rest) {
            return err_set(ERR_ARG, "a list is of one kind: all --oco, all --ouo, or --oto and then one of these");
        }
    }
    for (uint32_t i = 0; i < legs->count; i++) {
        req[i].contingency = (uint8_t)(i == 0 ? first : rest == CONTINGENCY_OTO ? CONTINGENCY_NONE : rest);
    }
    return ERR_OK;
}

/* Two more orders that close the first, one cancels the other. */
static err_t bracket(const order_cmd_t *k, legs_t *legs)
{
    if (!k->bracket) {
        return k->take_profit || k->stop_loss ? err_set(ERR_ARG, "--take-profit and --stop-loss go with --bracket")
                                              : ERR_OK;
    }
    if (!k->take_profit || !k->stop_loss || legs->count != 1) {
        return err_set(ERR_ARG, "--bracket wants --take-profit PX and --stop-loss PX, and no other order in the list");
    }
    const order_spec_t *first = &legs->spec[0];
    const char         *side  = strcasecmp(first->side, "buy") == 0 ? "sell" : "buy";
    const order_spec_t  close = {.symbol   = first->symbol,
                                 .side     = side,
                                 .qty      = first->qty,
                                 .tif      = "gtc",
                                 .account  = first->account,
                                 .user_ref = first->user_ref,
                                 .close    = first->open};
    legs->spec[1]             = close;
    legs->spec[1].limit       = k->take_profit;
    legs->spec[2]             = close;
    legs->spec[2].stop        = k->stop_loss;
    legs->before[1]           = CONTINGENCY_OTO;
    legs->before[2]           = CONTINGENCY_OCO;
    legs->count               = 3;
    return ERR_OK;
}

static err_t account_fill(const desk_t *d, order_terms_req_t *req)
{
    const uint64_t accounts = d->who.accounts;
    if (req->account_id == 0 && (accounts & (accounts - 1)) != 0) {
        char   list[256] = "";
        size_t at        = 0;
        for (uint32_t id = 0; id < 64 && at < sizeof list; id++) {
            if (accounts >> id & 1) {
                at += (size_t)snprintf(list + at, sizeof list - at, "%s%u", at ? ", " : "", id);
            }
        }
        return err_set(ERR_ARG, "--account ID is missing: the client has %s (`hwal positions` lists them)", list);
    }
    req->account_id = req->account_id ? req->account_id : (uint32_t)__builtin_ctzll(accounts);
    return ERR_OK;
}

static err_t legs_build(desk_t *d, const legs_t *legs, order_answer_t *out)
{
    order_terms_req_t req[ORDER_LEGS_MAX] = {0};
    instrument_t      ins;
    err_t             err = ERR_OK;
    for (uint32_t i = 0; !err && i < legs->count; i++) {
        err = order_instrument(d, legs->spec[i].symbol, &ins);
        err = err ? err : order_spec_build(&legs->spec[i], &ins, role_utc_ns(), &req[i]);
        err = err ? err : account_fill(d, &req[i]);
        err = err && legs->count > 1 ? err_wrap(err, "order %u", i + 1) : err;
    }
    err = err ? err : contingencies(legs, req);
    for (uint32_t i = 0; !err && i < legs->count; i++) {
        out[i] = (order_answer_t){.req = req[i], .terms = legs->count > 1 || !order_spec_plain(&req[i])};
    }
    return err;
}

/* All of them, each with the list's id; the first says it. */
static hwal_err_t legs_send(desk_t *d, order_answer_t *legs, uint32_t count)
{
    hwal_err_t err = HWAL_OK;
    for (uint32_t i = 0; err == HWAL_OK && i < count; i++) {
        legs[i].req.list_id = count > 1 && i > 0 ? legs[0].req.list_id : 0;
        err                 = order_send(d, &legs[i]);
    }
    return err;
}

static int dry_run(const order_cmd_t *k, desk_t *d, const order_answer_t *legs, uint32_t count)
{
    json_t *rows = json_array();
    int     rc   = EXIT_OK;
    for (uint32_t i = 0; i < count; i++) {
        risk_check_resp_t answer;
        json_t           *row = order_probe(d, &legs[i].req, &answer);
        if (!row) {
            json_decref(rows);
            return command_error("order", EXIT_FINDING, "%s", hwal_error());
        }
        rc = answer.approved ? rc : EXIT_FINDING;
        json_array_append_new(rows, row);
    }
    order_print_probes(d, rows, k->args.json);
    return rc;
}

/* Of a list each order is judged by itself: what stands without the others must not go unseen. */
static void list_warn(const order_answer_t *legs, uint32_t count)
{
    uint32_t good = 0;
    for (uint32_t i = 0; i < count; i++) {
        good += legs[i].answered && legs[i].verdict.code == RISK_ACCEPTED;
    }
    if (good > 0 && good < count) {
        command_error("order", EXIT_FINDING,
                      "%u of the list's %u orders was accepted and stands without the others: `hwal order cancel`",
                      good, count);
    }
}

static int sub_new(order_cmd_t *k, int argc, char **argv)
{
    legs_t         legs;
    order_answer_t answers[ORDER_LEGS_MAX];
    desk_t         d;
    int            rc = legs_take(k, &legs, argc, argv);
    if (rc != -1) {
        return rc;
    }
    if (bracket(k, &legs) != ERR_OK) {
        return fail(EXIT_USAGE);
    }
    if ((rc = desk_open(&d, "order", &k->args, k->client)) != EXIT_OK) {
        return rc;
    }
    if (legs_build(&d, &legs, answers) != ERR_OK) {
        rc = fail(EXIT_USAGE);
    } else if (k->dry_run) {
        rc = dry_run(k, &d, answers, legs.count);
    } else if (legs_send(&d, answers, legs.count) != HWAL_OK) {
        rc = command_error("order", EXIT_FINDING, "%s", hwal_error());
    } else {
        rc = order_await(&d, answers, legs.count,
                         k->wait ? (k->wait_s ? k->wait_s * NS_PER_S : INT64_MAX) : ORDER_WAIT_NONE);
        order_print(&d, answers, legs.count, k->args.json);
        list_warn(answers, legs.count);
    }
    desk_close(&d);
    return rc;
}

/* ---- replace, cancel ------------------------------------------------------------------------------------------------------- */
static err_t id_parse(const char *text, uint64_t *out)
{
    return attach_id(text, out) ? ERR_OK
                                : err_set(ERR_ARG, "\"%s\" is no ClOrdID (`hwal order list` shows them)", text);
}

static err_t target_of(desk_t *d, const char *text, order_action_t action, order_answer_t *out)
{
    uint64_t    id  = 0;
    const err_t err = id_parse(text, &id);
    return err ? err : order_target(d, id, action, out);
}

static int send_all(const order_cmd_t *k, desk_t *d, order_answer_t *answers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (order_send(d, &answers[i]) != HWAL_OK) {
            return command_error("order", EXIT_FINDING, "%s", hwal_error());
        }
    }
    const int rc =
        order_await(d, answers, count, k->wait ? (k->wait_s ? k->wait_s * NS_PER_S : INT64_MAX) : ORDER_WAIT_NONE);
    order_print(d, answers, count, k->args.json);
    return rc;
}

static int sub_replace(order_cmd_t *k, int argc, char **argv)
{
    static const struct option options[] = {
        ATTACH_OPTIONS, OWN_OPTIONS, ORDER_SPEC_OPTIONS, {"qty", required_argument, NULL, OPTION_QTY}, {0}};
    order_spec_t   spec = {0};
    order_answer_t answer;
    instrument_t   ins;
    desk_t         d;
    int            rc = -1;
    optind            = 0;
    for (int c; rc == -1 && (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        const bool fits = c < ORDER_SPEC_TIF || c >= ORDER_SPEC_END;
        if (c == OPTION_QTY) {
            spec.qty = optarg;
        } else if (!fits) {
            rc = command_error("order", EXIT_USAGE, "a replace changes quantity and prices alone");
        } else if (!order_spec_option(&spec, c, optarg)) {
            rc = own_option(k, c, argv);
        }
    }
    if (rc != -1) {
        return rc;
    }
    if (argc - optind != 1) {
        return command_error("order", EXIT_USAGE, "replace: one ClOrdID, %d were given", argc - optind);
    }
    const char *id = argv[optind];
    if ((rc = desk_open(&d, "order", &k->args, k->client)) != EXIT_OK) {
        return rc;
    }
    err_t err = target_of(&d, id, ORDER_ACTION_REPLACE, &answer);
    err       = err ? err : order_instrument_id(&d, answer.req.instrument_id, &ins);
    err       = err ? err : order_spec_change(&spec, &ins, role_utc_ns(), &answer.req);
    rc        = err ? fail(EXIT_USAGE) : send_all(k, &d, &answer, 1);
    desk_close(&d);
    return rc;
}

static int sub_cancel(order_cmd_t *k, int argc, char **argv)
{
    static const struct option options[] = {ATTACH_OPTIONS, OWN_OPTIONS, {0}};
    order_answer_t             answers[ORDER_LEGS_MAX];
    desk_t                     d;
    int                        rc = -1;
    optind                        = 0;
    for (int c; rc == -1 && (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        rc = own_option(k, c, argv);
    }
    if (rc != -1) {
        return rc;
    }
    char         **ids   = argv + optind;
    const uint32_t count = (uint32_t)(argc - optind);
    if (count == 0 || count > ORDER_LEGS_MAX) {
        return command_error("order", EXIT_USAGE, "cancel: 1 to %u ClOrdIDs, %u were given", ORDER_LEGS_MAX, count);
    }
    if ((rc = desk_open(&d, "order", &k->args, k->client)) != EXIT_OK) {
        return rc;
    }
    err_t err = ERR_OK;
    for (uint32_t i = 0; !err && i < count; i++) {
        err = target_of(&d, ids[i], ORDER_ACTION_CANCEL, &answers[i]);
    }
    rc = err ? fail(EXIT_USAGE) : send_all(k, &d, answers, count);
    desk_close(&d);
    return rc;
}

/* ---- cancel-all -------------------------------------------------------------------------------------------------------------- */
static int scope_take(order_cmd_t *k, int c)
{
    uint32_t number = 0;
    if (c == OPTION_INSTRUMENT) {
        k->instrument = optarg;
        return -1;
    }
    if (c == OPTION_SIDE) {
        k->scope.side = strcasecmp(optarg, "buy") == 0 ? SIDE_BUY : strcasecmp(optarg, "sell") == 0 ? SIDE_SELL : 0;
        return k->scope.side ? -1 : command_error("order", EXIT_USAGE, "--side %s: buy or sell", optarg);
    }
    if (!attach_number(optarg, 1, UINT16_MAX, &number)) {
        return command_error("order", EXIT_USAGE, "%s: an id from 1 to %u", optarg, UINT16_MAX);
    }
    switch (c) {
    case ORDER_SPEC_ACCOUNT: k->scope.account_id = number; break;
    case OPTION_STRATEGY: k->scope.strategy_id = number; break;
    default: k->scope.venue_id = (uint16_t)number; break;
    }
    return -1;
}

static void scope_text(const mass_cancel_t *s, const char *symbol, char *out, size_t cap)
{
    size_t n = (size_t)snprintf(out, cap, "cancel every open %sorder",
                                s->side == SIDE_BUY    ? "buy "
                                : s->side == SIDE_SELL ? "sell "
                                                       : "");
    const struct {
        const char *word;
        uint32_t    id;
    } parts[] = {{"account", s->account_id}, {"strategy", s->strategy_id}, {"venue", s->venue_id}};
    for (size_t i = 0; i < 3; i++) {
        n += parts[i].id ? (size_t)snprintf(out + n, cap - n, " of %s %u", parts[i].word, parts[i].id) : 0;
    }
    snprintf(out + n, cap - n, "%s%s", symbol ? " in " : "", symbol ? symbol : "");
}

static bool scope_holds(const desk_t *d, const mass_cancel_t *s, const msg_t *msg)
{
    uint32_t ids[4];
    uint8_t  side, status;
    if (msg->type == MSG_ORDER) {
        const order_record_t *o = msg->body;
        memcpy(ids, (const uint32_t[]){o->account_id, o->strategy_id, o->instrument_id, o->tenant_id}, sizeof ids);
        side   = o->side;
        status = o->ord_status;
    } else {
        const held_record_t *h = msg->body;
        memcpy(ids, (const uint32_t[]){h->account_id, h->strategy_id, h->instrument_id, h->tenant_id}, sizeof ids);
        side   = h->side;
        status = h->state == HELD_DONE ? ORD_STATUS_NONE : h->ord_status;
    }
    const attach_instrument_t *ins = attach_instrument(d->a, ids[2]);
    return view_open(status) && (!s->account_id || s->account_id == ids[0]) &&
           (!s->strategy_id || s->strategy_id == ids[1]) && (!s->instrument_id || s->instrument_id == ids[2]) &&
           (!s->side || s->side == side) && (!s->venue_id || !ins || s->venue_id == ins->def.venue_id);
}

static uint64_t scope_open(const desk_t *d, const mass_cancel_t *s)
{
    static const struct {
        record_id_t id;
        msg_type_t  type;
    } arrays[]    = {{RECORD_ID_ORDERS, MSG_ORDER}, {RECORD_ID_HELD, MSG_HELD_ORDER}};
    uint64_t open = 0;
    for (size_t k = 0; k < 2; k++) {
        records_reader_t reader;
        attach_message_t m;
        const uint32_t   count = attach_records(d->a, arrays[k].id, &reader) ? reader.count : 0;
        for (uint32_t i = 0; i < count; i++) {
            open += attach_record(d->a, &reader, i, &m) == ERR_OK && m.msg.type == arrays[k].type &&
                    scope_holds(d, s, &m.msg);
        }
    }
    return open;
}

/* Until none is open, or the time is over: how many still are. */
static uint64_t drained(const order_cmd_t *k, const desk_t *d, const mass_cancel_t *s)
{
    const int64_t until = role_mono_ns() + (k->wait_s ? k->wait_s : CANCEL_WAIT_S) * NS_PER_S;
    uint64_t      open  = scope_open(d, s);
    while (open > 0 && role_mono_ns() < until && !attach_stale(d->a)) {
        nanosleep(&(struct timespec){.tv_nsec = 20 * NS_PER_MS}, NULL);
        open = scope_open(d, s);
    }
    return open;
}

static int cancel_all(const order_cmd_t *k, desk_t *d, mass_cancel_t *scope)
{
    verdict_t v;
    if (hwal_lane_mass_cancel(d->lane, scope) != HWAL_OK) {
        return command_error("order", EXIT_FINDING, "%s", hwal_error());
    }
    if (!order_verdict(d, scope->request_id, &v)) {
        return desk_ended(d);
    }
    const uint64_t open = v.code == RISK_ACCEPTED ? drained(k, d, scope) : 0;
    if (k->args.json) {
        json_t *o = view_head(d->a);
        json_object_set_new(o, "request_id", table_u64(scope->request_id));
        json_object_set_new(o, "code", json_integer(v.code));
        json_object_set_new(o, "code_name", json_string(risk_code_str(v.code)));
        json_object_set_new(o, "orders", json_integer(v.code ? 0 : v.observed));
        json_object_set_new(o, "open_orders", table_u64(open));
        table_json(stdout, o);
        json_decref(o);
    } else if (v.code == RISK_ACCEPTED) {
        printf("%" PRId64 " orders in scope, %" PRIu64 " still open\n", v.observed, open);
    }
    if (v.code != RISK_ACCEPTED) {
        return command_error("order", EXIT_FINDING, "cancel-all denied: %s (%u)", risk_code_str(v.code), v.code);
    }
    return open ? EXIT_FINDING : EXIT_OK;
}

static int sub_cancel_all(order_cmd_t *k, int argc, char **argv)
{
    static const struct option options[] = {ATTACH_OPTIONS,
                                            OWN_OPTIONS,
                                            {"account", required_argument, NULL, ORDER_SPEC_ACCOUNT},
                                            {"strategy", required_argument, NULL, OPTION_STRATEGY},
                                            {"instrument", required_argument, NULL, OPTION_INSTRUMENT},
                                            {"venue", required_argument, NULL, OPTION_VENUE},
                                            {"side", required_argument, NULL, OPTION_SIDE},
                                            {0}};
    char                       question[256];
    desk_t                     d;
    int                        rc = -1;
    optind                        = 0;
    for (int c; rc == -1 && (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        const bool scope = c == ORDER_SPEC_ACCOUNT || c >= OPTION_INSTRUMENT;
        rc               = scope ? scope_take(k, c) : own_option(k, c, argv);
    }
    if (rc != -1) {
        return rc;
    }
    if (optind < argc) {
        return command_error("order", EXIT_USAGE, "cancel-all: %s: scopes are options (--help)", argv[optind]);
    }
    scope_text(&k->scope, k->instrument, question, sizeof question);
    if (!k->yes && !desk_ask(question, "cancel")) {
        return command_error("order", EXIT_USAGE, "not confirmed: nothing was cancelled (--yes confirms)");
    }
    if ((rc = desk_open(&d, "order", &k->args, k->client)) != EXIT_OK) {
        return rc;
    }
    const attach_instrument_t *ins = k->instrument ? attach_symbol(d.a, k->instrument) : NULL;
    k->scope.instrument_id         = ins ? ins->def.instrument_id : 0;
    rc                             = k->instrument && !ins ? fail(EXIT_USAGE) : cancel_all(k, &d, &k->scope);
    desk_close(&d);
    return rc;
}

int command_order(int argc, char **argv)
{
    order_cmd_t k = {.client = CONFIG_OPERATOR};
    attach_args(&k.args);
    if (argc < 2) {
        return usage(stderr);
    }
    const char *sub = argv[1];
    if (strcmp(sub, "--help") == 0 || strcmp(sub, "-h") == 0) {
        return usage(stdout);
    }
    if (strcmp(sub, "new") == 0) {
        return sub_new(&k, argc - 1, argv + 1);
    }
    if (strcmp(sub, "replace") == 0) {
        return sub_replace(&k, argc - 1, argv + 1);
    }
    if (strcmp(sub, "cancel") == 0) {
        return sub_cancel(&k, argc - 1, argv + 1);
    }
    if (strcmp(sub, "cancel-all") == 0) {
        return sub_cancel_all(&k, argc - 1, argv + 1);
    }
    if (strcmp(sub, "list") == 0) {
        return command_orders(argc - 1, argv + 1);
    }
    if (strcmp(sub, "types") == 0) {
        return command_order_types(argc - 1, argv + 1);
    }
    return command_error("order", EXIT_USAGE, "%s: new, replace, cancel, cancel-all, list or types (--help)", sub);
}
