/* conformance/broker-events: what venues say, in every order in which two channels can deliver it.
 * Each case runs in the listed order, once plain and once moved to fresh memory between all events (the same state must
 * come out, byte for byte); then in every merge of its fills with its other events that keeps each in its own order:
 * orders and position must be the same (the alarms depend on the order, by their nature). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/types/hash.h"
#include "core/types/ids.h"
#include "tests/lib/glue.h"

enum { NAMES_MAX = 16, NAME_TEXT = 32, EVENTS_MAX = 16, LINE_MAX_BYTES = 1 << 20 };

typedef struct run {
    glue_t      glue;
    char        names[NAMES_MAX][NAME_TEXT]; /* cid of sequence i + 1 */
    uint32_t    name_count;
    uint64_t    requests; /* ids of replaces and cancels */
    now_t       now;
    uint32_t    alarms;
    const char *why;
} run_t;

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* A quantity as an adapter would read it: over 63 bits cannot be said, and is reported as 0. Absent: the fallback. */
static int64_t num(const json_t *o, const char *key, int64_t fallback)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_number(v)) {
        return fallback;
    }
    const double d = json_number_value(v);
    return d >= 0x1p53 ? 0 : (int64_t)d;
}

static uint64_t id_of(run_t *r, const char *name)
{
    uint32_t i = 0;
    while (i < r->name_count && strcmp(r->names[i], name) != 0) {
        i++;
    }
    if (i == r->name_count) {
        if (i == NAMES_MAX) {
            abort();
        }
        snprintf(r->names[r->name_count++], NAME_TEXT, "%s", name);
    }
    return cl_ord_id_make(1, 1, i + 1);
}

static uint8_t side_of(const char *s)
{
    return strcmp(s, "buy") == 0 ? SIDE_BUY : strcmp(s, "sell") == 0 ? SIDE_SELL : SIDE_NONE;
}

static void limits_wide(run_t *r)
{
    risk_limits_t l;
    risk_limits_default(SCOPE_ACCOUNT, &l);
    l.max_value = l.max_gross = l.max_net = l.max_open_value = l.value_w_max = INT64_MAX;
    l.max_day_loss = l.max_realised_loss = l.max_drawdown = INT64_MAX;
    l.concentration_bp                                    = 10000;
    bool ok = risk_limits_set(r->glue.risk, SCOPE_ACCOUNT, 1, 0, &l) == ERR_OK;
    risk_limits_default(SCOPE_INSTRUMENT, &l);
    l.max_qty = l.max_value = INT64_MAX;
    ok                      = ok && risk_limits_set(r->glue.risk, SCOPE_INSTRUMENT, 1, 0, &l) == ERR_OK;
    risk_limits_default(SCOPE_ACCOUNT_INSTRUMENT, &l);
    l.max_qty = l.max_long = l.max_short = INT64_MAX;
    ok = ok && risk_limits_set(r->glue.risk, SCOPE_ACCOUNT_INSTRUMENT, 1, 1, &l) == ERR_OK;
    risk_limits_default(SCOPE_VENUE, &l);
    ok = ok && risk_limits_set(r->glue.risk, SCOPE_VENUE, GLUE_VENUE, 0, &l) == ERR_OK;
    if (!ok) {
        r->why = err_msg();
    }
}

static void request(run_t *r, order_action_t action, const char *cid, const json_t *o)
{
    const uint64_t id = id_of(r, cid);
    risk_out_t     out;
    order_req_t    req = {.action          = (uint8_t)action,
                          .cl_ord_id       = action == ORDER_ACTION_NEW ? id : cl_ord_id_make(1, 2, ++r->requests),
                          .orig_cl_ord_id  = action == ORDER_ACTION_NEW ? 0 : id,
                          .tenant_id       = 1,
                          .account_id      = 1,
                          .instrument_id   = 1,
                          .px              = num(o, "p", 0),
                          .qty             = num(o, "q", 0),
                          .created_mono_ns = r->now.mono_ns,
                          .side            = side_of(text(o, "side")),
                          .ord_type        = ORD_TYPE_LIMIT,
                          .tif             = TIF_GTC};
    const uint32_t row = action == ORDER_ACTION_NEW ? ORDER_NONE : order_find(r->glue.orders, id);
    if (row != ORDER_NONE) {
        req.side = order_at(r->glue.orders, row)->side;
    }
    const uint16_t code = glue_request(&r->glue, &req, r->now, &out);
    /* In another order of events the order may have ended before we could ask: then we do not ask. */
    if (code != RISK_ACCEPTED && code != RISK_ORDER_NOT_OPEN && code != RISK_AMEND_BELOW_FILLED) {
        r->why = risk_code_str(code);
    }
}

static void report(run_t *r, exec_report_t *rep)
{
    order_effect_t effect;
    rep->account_id    = 1;
    rep->instrument_id = 1;
    rep->leaves_qty    = -1;
    glue_report(&r->glue, rep, r->now, &effect);
    r->alarms |= effect.alarms;
}

static void report_named(run_t *r, exec_type_t type, const json_t *e)
{
    const char   *exec = text(e, "exec");
    const char   *id   = text(e, "venue_id");
    exec_report_t rep  = {.cl_ord_id   = id_of(r, text(e, "cid")),
                          .exec_id_hi  = strlen(exec),
                          .exec_id_lo  = exec[0] ? hash_bytes(0, exec, strlen(exec)) : 0,
                          .order_id_lo = id[0] ? hash_bytes(0, id, strlen(id)) : 0,
                          .exec_type   = (uint8_t)type,
                          .side        = side_of(text(e, "side")),
                          .last_px     = num(e, "p", 0),
                          .last_qty    = num(e, "q", 0),
                          .cum_qty     = num(e, "cum", -1)};
    if (type == EXEC_TYPE_REPLACED) {
        rep.order_qty = rep.last_qty;
        rep.px        = rep.last_px;
    }
    report(r, &rep);
}

/* The link is gone, or we are a new process: what is open becomes unknown. */
static void all_unknown(run_t *r)
{
    for (uint32_t row = order_first(r->glue.orders), next; row != ORDER_NONE; row = next) {
        next              = order_next(r->glue.orders, row);
        exec_report_t rep = {
            .cl_ord_id = order_at(r->glue.orders, row)->cl_ord_id, .exec_type = EXEC_TYPE_TIMEOUT, .cum_qty = -1};
        report(r, &rep);
    }
}

static uint8_t status_of(const char *s)
{
    static const struct {
        const char *text;
        uint8_t     status;
    } words[] = {{"NOT_FOUND", ORD_STATUS_NONE},
                 {"NEW", ORD_STATUS_NEW},
                 {"PARTIALLY_FILLED", ORD_STATUS_PARTIALLY_FILLED},
                 {"FILLED", ORD_STATUS_FILLED},
                 {"CANCELED", ORD_STATUS_CANCELED},
                 {"REJECTED", ORD_STATUS_REJECTED},
                 {"EXPIRED", ORD_STATUS_EXPIRED}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(s, words[i].text) == 0) {
            return words[i].status;
        }
    }
    return 0xff;
}

static void query_result(run_t *r, const json_t *e)
{
    exec_report_t rep = {.cl_ord_id  = id_of(r, text(e, "cid")),
                         .exec_type  = EXEC_TYPE_ORDER_STATUS,
                         .ord_status = status_of(text(e, "status")),
                         .cum_qty    = num(e, "cum", -1)};
    if (rep.ord_status == 0xff) {
        r->why = "query status that this program does not know";
    }
    report(r, &rep);
}

static void query_open(run_t *r, const json_t *e)
{
    size_t  i;
    json_t *o;
    json_array_foreach(json_object_get(e, "orders"), i, o)
    {
        const char   *id  = text(o, "venue_id");
        exec_report_t rep = {.cl_ord_id   = id_of(r, text(o, "cid")),
                             .order_id_lo = hash_bytes(0, id, strlen(id)),
                             .exec_type   = EXEC_TYPE_ORDER_STATUS,
                             .ord_status  = ORD_STATUS_NEW,
                             .side        = side_of(text(o, "side")),
                             .cum_qty     = -1};
        report(r, &rep);
    }
}

static void event_run(run_t *r, const json_t *e)
{
    static const struct {
        const char *text;
        exec_type_t type;
    } reports[]      = {{"ack", EXEC_TYPE_NEW},
                        {"fill", EXEC_TYPE_TRADE},
                        {"bust", EXEC_TYPE_TRADE_CANCEL},
                        {"reject", EXEC_TYPE_REJECTED},
                        {"expire", EXEC_TYPE_EXPIRED},
                        {"expired", EXEC_TYPE_EXPIRED},
                        {"cancel_ack", EXEC_TYPE_CANCELED},
                        {"cancel_reject", EXEC_TYPE_CANCEL_REJECT},
                        {"replace_ack", EXEC_TYPE_REPLACED},
                        {"replace_reject", EXEC_TYPE_REPLACE_REJECT},
                        {"timeout", EXEC_TYPE_TIMEOUT}};
    const char *type = text(e, "type");
    r->now.mono_ns += NS_PER_MS;
    r->now.utc_ns += NS_PER_MS;
    for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
        if (strcmp(type, reports[i].text) == 0) {
            report_named(r, reports[i].type, e);
            return;
        }
    }
    if (strcmp(type, "cancel_sent") == 0) {
        request(r, ORDER_ACTION_CANCEL, text(e, "cid"), e);
    } else if (strcmp(type, "replace_sent") == 0) {
        request(r, ORDER_ACTION_REPLACE, text(e, "cid"), e);
    } else if (strcmp(type, "disconnect") == 0 || strcmp(type, "restart") == 0) {
        all_unknown(r);
    } else if (strcmp(type, "query_result") == 0) {
        query_result(r, e);
    } else if (strcmp(type, "query_open") == 0) {
        query_open(r, e);
    } else if (strcmp(type, "reconnect") != 0) { /* the link is back: the answers come by query */
        r->why = "event that this program does not know";
    }
}

static void run_open(run_t *r, const json_t *line)
{
    const risk_md_t  md  = {.bid_px = 9990, .ask_px = 10010, .has_bid = 1, .has_ask = 1};
    instrument_def_t def = glue_def(1);
    risk_cfg_t       cfg;
    size_t           i;
    json_t          *o;
    memset(r, 0, sizeof *r);
    risk_cfg_default(&cfg);
    glue_open(&r->glue, cfg, 64, 64);
    glue_instrument(&r->glue, &def, 1);
    glue_account(&r->glue, 1);
    glue_ready(&r->glue);
    limits_wide(r);
    glue_book(&r->glue, 1, &md, r->now);
    json_array_foreach(json_object_get(line, "orders"), i, o)
    {
        request(r, ORDER_ACTION_NEW, text(o, "cid"), o);
    }
}

/* The words of the vectors: what moves is "open", and a gap shows whatever the status. */
static const char *state_of(const order_t *o)
{
    if (order_gap(o) > 0) {
        return "gap";
    }
    switch (o->ord_status) {
    case ORD_STATUS_FILLED: return "filled";
    case ORD_STATUS_CANCELED: return "cancelled";
    case ORD_STATUS_REJECTED: return "rejected";
    case ORD_STATUS_EXPIRED: return "expired";
    case ORD_STATUS_UNKNOWN: return "unknown";
    default: return "open";
    }
}

static void compare_state(run_t *r, const json_t *expect)
{
    static char     why[160];
    const char     *cid;
    json_t         *o;
    risk_exposure_t x;
    json_object_foreach(json_object_get(expect, "orders"), cid, o)
    {
        const uint32_t row = order_find(r->glue.orders, id_of(r, cid));
        const order_t *is  = row == ORDER_NONE ? NULL : order_at(r->glue.orders, row);
        if (is == NULL || strcmp(state_of(is), text(o, "state")) != 0 || is->cum_qty != num(o, "filled", -1) ||
            order_leaves(is) != num(o, "leaves", -1)) {
            snprintf(why, sizeof why, "%s is %s, filled %lld, leaves %lld", cid, is ? state_of(is) : "not there",
                     is ? (long long)is->cum_qty : 0, is ? (long long)order_leaves(is) : 0);
            r->why = why;
        }
    }
    risk_exposure(r->glue.risk, 1, 1, &x);
    if (x.pos != num(expect, "position", 0)) {
        snprintf(why, sizeof why, "position is %lld", (long long)x.pos);
        r->why = why;
    }
}

static void compare_alarms(run_t *r, const json_t *expect)
{
    static char why[64];
    size_t      i;
    json_t     *name;
    uint32_t    want = 0;
    json_array_foreach(json_object_get(expect, "alarms"), i, name)
    {
        uint32_t kind = 1;
        while (kind < ALARM_KIND_COUNT && strcmp(alarm_kind_str((alarm_kind_t)kind), json_string_value(name)) != 0) {
            kind++;
        }
        want |= 1U << kind;
    }
    if (want != r->alarms) {
        snprintf(why, sizeof why, "alarms are %06x, not %06x", r->alarms, want);
        r->why = why;
    }
}

static bool is_fill(const json_t *e)
{
    return strcmp(text(e, "type"), "fill") == 0 || strcmp(text(e, "type"), "bust") == 0;
}

/* merge: bit i set = the i-th event to happen is the next of the fills. */
static bool case_run(const json_t *line, uint32_t merge, bool listed_order, bool restart, uint64_t *hash)
{
    run_t         r;
    const json_t *events = json_object_get(line, "events");
    const json_t *expect = json_object_get(line, "expect");
    const size_t  n      = json_array_size(events);
    size_t        fill   = 0;
    size_t        other  = 0;
    run_open(&r, line);
    for (size_t i = 0; i < n && r.why == NULL; i++) {
        size_t *next = merge >> i & 1 ? &fill : &other;
        while (*next < n && is_fill(json_array_get(events, *next)) != (merge >> i & 1)) {
            (*next)++;
        }
        event_run(&r, json_array_get(events, (*next)++));
        if (restart) {
            glue_restart(&r.glue);
        }
    }
    if (r.why == NULL) {
        compare_state(&r, expect);
    }
    if (r.why == NULL && listed_order) {
        compare_alarms(&r, expect);
    }
    if (r.why != NULL) {
        printf("FAIL %s, order of events %x%s: %s\n", text(line, "id"), merge, restart ? ", restarts" : "", r.why);
    }
    *hash = glue_hash(&r.glue);
    glue_close(&r.glue);
    return r.why == NULL;
}

static bool case_check(const json_t *line)
{
    const json_t *events = json_object_get(line, "events");
    const size_t  n      = json_array_size(events);
    uint32_t      listed = 0;
    uint64_t      plain;
    uint64_t      moved;
    if (n > EVENTS_MAX) {
        printf("FAIL %s: %zu events\n", text(line, "id"), n);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        listed |= (uint32_t)is_fill(json_array_get(events, i)) << i;
    }
    if (!case_run(line, listed, true, false, &plain) || !case_run(line, listed, true, true, &moved)) {
        return false;
    }
    if (plain != moved) {
        printf("FAIL %s: restarts give other bytes\n", text(line, "id"));
        return false;
    }
    bool ok = true;
    for (uint32_t merge = 0; merge < 1U << n; merge++) {
        if (__builtin_popcount(merge) == __builtin_popcount(listed)) {
            ok = case_run(line, merge, false, false, &plain) && ok;
        }
    }
    return ok;
}

int main(void)
{
    const char *shared = getenv("HWAL_SHARED");
    char        path[4096];
    static char line[LINE_MAX_BYTES];
    int         passed = 0;
    int         total  = 0;
    snprintf(path, sizeof path, "%s/conformance/broker-events/sequences.jsonl", shared ? shared : "../shared");
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        printf("SKIP broker-events vectors: no %s (set HWAL_SHARED)\n", path);
        return 77;
    }
    while (fgets(line, sizeof line, file)) {
        json_t *json = json_loads(line, JSON_DECODE_INT_AS_REAL, NULL);
        total++;
        if (json == NULL) {
            printf("FAIL line %d: not JSON\n", total);
        } else {
            passed += case_check(json);
        }
        json_decref(json);
    }
    fclose(file);
    printf("broker-events: passed %d / %d\n", passed, total);
    printf("B5 %d sequences (doubled, late, early and over-fills, busts, corrections, unknown orders): %d booked once, "
           "with "
           "the alarms listed\n",
           total, passed);
    return passed == total && total > 0 ? 0 : 1;
}
