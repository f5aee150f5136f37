/* conformance/risk: every sequence of requests, reports and states through risk, order table and portfolio.
 * Each case runs three times: plain, again (the same bytes must come out), and moved to fresh memory between all steps.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/types/hash.h"
#include "core/types/ids.h"
#include "tests/lib/glue.h"

enum { IDS_MAX = 1024, ID_TEXT = 32, LINE_MAX_BYTES = 1 << 20 };

typedef struct run {
    glue_t        glue;
    risk_limits_t account, market, row;
    int64_t       dup_n;
    bool          missing;
    now_t         now;
    uint64_t      verdicts;              /* hash of all that was answered */
    char          ids[IDS_MAX][ID_TEXT]; /* text of the id with sequence i + 1 ("" for ids of amends and cancels) */
    uint32_t      id_count;
    const char   *why;
} run_t;

static int64_t num(const json_t *o, const char *key, int64_t fallback)
{
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? json_integer_value(v) : fallback;
}

static const char *text(const json_t *o, const char *key, const char *fallback)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : fallback;
}

static uint64_t id_new(run_t *r, const char *name)
{
    if (r->id_count == IDS_MAX) {
        abort();
    }
    snprintf(r->ids[r->id_count], ID_TEXT, "%s", name);
    r->id_count++;
    return cl_ord_id_make(1, 1, r->id_count);
}

static uint64_t id_of(run_t *r, const char *name)
{
    if (name[0] == '\0') {
        return 0;
    }
    for (uint32_t i = 0; i < r->id_count; i++) {
        if (strcmp(r->ids[i], name) == 0) {
            return cl_ord_id_make(1, 1, i + 1);
        }
    }
    return id_new(r, name);
}

/* One setting of `config` or of a `set` step. false = unknown. */
static bool setting(run_t *r, instrument_def_t *def, int64_t *tick, const char *key, const json_t *v)
{
    const struct {
        const char *key;
        int64_t    *at;
    } known[] = {
        {"max_qty", &r->market.max_qty},
        {"max_value", &r->account.max_value},
        {"collar_bp", &r->market.collar_bp},
        {"far_bp", &r->market.far_bp},
        {"max_spread_bp", &r->market.max_spread_bp},
        {"max_md_age_ns", &r->market.max_md_age_ns},
        {"max_long", &r->row.max_long},
        {"max_short", &r->row.max_short},
        {"max_gross", &r->account.max_gross},
        {"max_net", &r->account.max_net},
        {"max_open_orders", &r->row.max_open_orders},
        {"max_open_value", &r->account.max_open_value},
        {"max_day_loss", &r->account.max_day_loss},
        {"max_realised_loss", &r->account.max_realised_loss},
        {"max_drawdown", &r->account.max_drawdown},
        {"rate_n", &r->account.rate_n},
        {"cancel_n", &r->account.cancel_n},
        {"dup_n", &r->account.dup_n},
        {"dup_w", &r->account.dup_w_ns},
        {"lot", def ? &def->lot : NULL},
        {"min_qty", def ? &def->min_qty : NULL},
        {"min_notional", def ? &def->min_notional : NULL},
        {"tick", tick},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(key, known[i].key) == 0 && known[i].at != NULL && json_is_integer(v)) {
            *known[i].at = json_integer_value(v);
            return true;
        }
    }
    if (def && strcmp(key, "allow_negative") == 0) {
        def->allow_negative = json_is_true(v);
        return true;
    }
    if (strcmp(key, "missing") == 0) {
        r->missing = json_is_true(v);
        return true;
    }
    return (strcmp(key, "stp") == 0 && json_is_string(v) && strcmp(json_string_value(v), "cancel-newest") == 0) ||
           strcmp(key, "pos") == 0 || strcmp(key, "avg_px") == 0;
}

static void limits_apply(run_t *r)
{
    risk_limits_t venue;
    risk_limits_default(SCOPE_VENUE, &venue);
    if (risk_limits_set(r->glue.risk, SCOPE_VENUE, GLUE_VENUE, 0, &venue) != ERR_OK ||
        risk_limits_set(r->glue.risk, SCOPE_ACCOUNT, 1, 0, &r->account) != ERR_OK ||
        risk_limits_set(r->glue.risk, SCOPE_INSTRUMENT, 1, 0, &r->market) != ERR_OK ||
        (!r->missing && risk_limits_set(r->glue.risk, SCOPE_ACCOUNT_INSTRUMENT, 1, 1, &r->row) != ERR_OK)) {
        r->why = err_msg();
    }
}

static void limits_start(run_t *r)
{
    risk_limits_default(SCOPE_ACCOUNT, &r->account);
    risk_limits_default(SCOPE_INSTRUMENT, &r->market);
    risk_limits_default(SCOPE_ACCOUNT_INSTRUMENT, &r->row);
    r->market.max_qty            = 1000;
    r->market.max_value          = INT64_MAX;
    r->account.max_value         = 10000000;
    r->account.max_gross         = 100000000;
    r->account.max_net           = INT64_MAX;
    r->account.concentration_bp  = 10000; /* there is one instrument only */
    r->account.max_open_value    = INT64_MAX;
    r->account.max_day_loss      = INT64_MAX;
    r->account.max_realised_loss = INT64_MAX;
    r->account.max_drawdown      = INT64_MAX;
    r->account.value_w_max       = INT64_MAX;
    r->account.dup_n             = 1024; /* "off" */
    r->row.max_qty               = INT64_MAX;
    r->row.max_long              = 2000;
    r->row.max_short             = 2000;
}

static void book_set(run_t *r, const json_t *bid, const json_t *ask)
{
    risk_md_t md    = r->glue.md[1];
    md.has_bid      = json_is_integer(bid);
    md.has_ask      = json_is_integer(ask);
    md.bid_px       = json_integer_value(bid);
    md.ask_px       = json_integer_value(ask);
    md.book_mono_ns = r->now.mono_ns;
    glue_book(&r->glue, 1, &md, r->now);
}

static void run_open(run_t *r, const json_t *config)
{
    instrument_def_t def  = glue_def(1);
    int64_t          tick = 1;
    risk_cfg_t       cfg;
    const char      *key;
    json_t          *value;
    memset(r, 0, sizeof *r);
    limits_start(r);
    json_object_foreach((json_t *)(uintptr_t)config, key, value)
    {
        if (!setting(r, &def, &tick, key, value)) {
            r->why = "config that this program does not know";
        }
    }
    risk_cfg_default(&cfg);
    glue_open(&r->glue, cfg, 1024, 1024);
    glue_instrument(&r->glue, &def, tick);
    glue_account(&r->glue, 1);
    glue_ready(&r->glue);
    limits_apply(r);
    if (num(config, "pos", 0) != 0) {
        glue_position(&r->glue, 1, 1, num(config, "pos", 0), num(config, "avg_px", 0));
    }
    json_t *bid = json_integer(9990);
    json_t *ask = json_integer(10010);
    book_set(r, bid, ask);
    json_decref(bid);
    json_decref(ask);
}

static uint8_t side_of(const char *s)
{
    return strcmp(s, "buy") == 0 ? SIDE_BUY : strcmp(s, "sell") == 0 ? SIDE_SELL : SIDE_NONE;
}

static uint8_t type_of(const char *s)
{
    return strcmp(s, "limit") == 0 ? ORD_TYPE_LIMIT : strcmp(s, "market") == 0 ? ORD_TYPE_MARKET : ORD_TYPE_NONE;
}

/* new, amend, cancel: ask, and compare the code. */
static void step_request(run_t *r, const json_t *step, order_action_t action)
{
    const uint64_t named = id_of(r, text(step, "id", ""));
    risk_out_t     out;
    order_req_t    req = {.action          = (uint8_t)action,
                          .cl_ord_id       = action == ORDER_ACTION_NEW ? named : id_new(r, ""),
                          .orig_cl_ord_id  = action == ORDER_ACTION_NEW ? 0 : named,
                          .tenant_id       = 1,
                          .account_id      = 1,
                          .instrument_id   = 1,
                          .px              = num(step, "p", 0),
                          .qty             = num(step, "q", 0),
                          .created_mono_ns = r->now.mono_ns,
                          .side            = side_of(text(step, "side", "")),
                          .ord_type        = type_of(text(step, "type", "limit")),
                          .tif             = TIF_GTC};
    const uint32_t row = action == ORDER_ACTION_NEW ? ORDER_NONE : order_find(r->glue.orders, named);
    if (row != ORDER_NONE) {
        req.side = order_at(r->glue.orders, row)->side;
    }
    const uint16_t code = glue_request(&r->glue, &req, r->now, &out);
    r->verdicts         = hash_bytes(r->verdicts, &out.verdict, sizeof out.verdict);
    if (code != num(step, "expect", -1)) {
        static char why[80];
        snprintf(why, sizeof why, "code %u %s, not %lld", code, risk_code_str(code),
                 (long long)num(step, "expect", -1));
        r->why = why;
    }
}

static void step_report(run_t *r, const json_t *step, exec_type_t type)
{
    order_effect_t effect;
    exec_report_t  report = {.cl_ord_id     = id_of(r, text(step, "id", "")),
                             .account_id    = 1,
                             .instrument_id = 1,
                             .exec_type     = (uint8_t)type,
                             .side          = side_of(text(step, "side", "")),
                             .last_px       = num(step, "p", 0),
                             .last_qty      = num(step, "q", 0),
                             .cum_qty       = -1,
                             .leaves_qty    = -1};
    const char    *exec   = text(step, "exec", "");
    report.exec_id_hi     = strlen(exec);
    report.exec_id_lo     = hash_bytes(0, exec, strlen(exec));
    glue_report(&r->glue, &report, r->now, &effect);
}

static void step_set(run_t *r, const json_t *step)
{
    const char *key;
    json_t     *v;
    json_object_foreach((json_t *)(uintptr_t)step, key, v)
    {
        const int64_t on = json_is_true(v);
        if (strcmp(key, "op") == 0 || strcmp(key, "t") == 0) {
            continue;
        } else if (strcmp(key, "kill") == 0) {
            glue_control(&r->glue, CONTROL_KILL, SCOPE_GLOBAL, 0, on);
        } else if (strcmp(key, "sess") == 0) {
            const char *s = json_string_value(v);
            glue_control(&r->glue, CONTROL_SESSION, SCOPE_INSTRUMENT, 1,
                         strcmp(s, "open") == 0     ? SESSION_OPEN
                         : strcmp(s, "halted") == 0 ? SESSION_HALTED
                                                    : SESSION_CLOSED);
        } else if (strcmp(key, "reduce") == 0) {
            glue_control(&r->glue, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, on);
        } else if (strcmp(key, "rec") == 0) {
            glue_control(&r->glue, CONTROL_RECOVERING, SCOPE_ACCOUNT, 1, on);
        } else if (strcmp(key, "jr") == 0) {
            glue_control(&r->glue, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, on);
        } else if (strcmp(key, "venue") == 0) {
            glue_control(&r->glue, CONTROL_VENUE_LINK, SCOPE_VENUE, GLUE_VENUE, on);
        } else if (strcmp(key, "clear_latch") == 0) {
            glue_control(&r->glue, CONTROL_CLEAR_LATCH, SCOPE_ACCOUNT, 1, on);
        } else if (strcmp(key, "gap") == 0) {
            r->glue.md[1].feed_gap = (uint8_t)on;
        } else if (setting(r, NULL, NULL, key, v)) {
            limits_apply(r);
        } else {
            r->why = "set that this program does not know";
        }
    }
}

static void step_compare(run_t *r, const json_t *step)
{
    static char     why[80];
    risk_exposure_t x;
    risk_exposure(r->glue.risk, 1, 1, &x);
    const struct {
        const char *key;
        int64_t     is;
    } figures[] = {{"pos", x.pos}, {"L", x.worst_long}, {"K", x.worst_short}};
    for (size_t i = 0; i < 3; i++) {
        const int64_t want = num(step, figures[i].key, figures[i].is);
        if (want != figures[i].is) {
            snprintf(why, sizeof why, "%s is %lld, not %lld", figures[i].key, (long long)figures[i].is,
                     (long long)want);
            r->why = why;
        }
    }
}

static void step_run(run_t *r, const json_t *step)
{
    const char *op = text(step, "op", "");
    r->now.mono_ns = num(step, "t", r->now.mono_ns);
    r->now.utc_ns  = r->now.mono_ns;
    if (strcmp(op, "new") == 0) {
        step_request(r, step, ORDER_ACTION_NEW);
    } else if (strcmp(op, "amend") == 0) {
        step_request(r, step, ORDER_ACTION_REPLACE);
    } else if (strcmp(op, "cancel") == 0) {
        step_request(r, step, ORDER_ACTION_CANCEL);
    } else if (strcmp(op, "amend_ack") == 0) {
        step_report(r, step, EXEC_TYPE_REPLACED);
    } else if (strcmp(op, "cancel_ack") == 0) {
        step_report(r, step, EXEC_TYPE_CANCELED);
    } else if (strcmp(op, "venue_reject") == 0) {
        step_report(r, step, EXEC_TYPE_REJECTED);
    } else if (strcmp(op, "fill") == 0) {
        step_report(r, step, EXEC_TYPE_TRADE);
    } else if (strcmp(op, "md") == 0) {
        book_set(r, json_object_get(step, "bid"), json_object_get(step, "ask"));
    } else if (strcmp(op, "set") == 0) {
        step_set(r, step);
    } else {
        r->why = "op that this program does not know";
    }
    if (r->why == NULL) {
        step_compare(r, step);
    }
}

/* Returns false and has printed why when a step differs. *hash: verdicts and final state. */
static bool case_run(const json_t *line, bool restart, uint64_t *hash)
{
    static run_t r;
    size_t       i;
    json_t      *step;
    run_open(&r, json_object_get(line, "config"));
    json_array_foreach(json_object_get(line, "steps"), i, step)
    {
        if (r.why == NULL) {
            step_run(&r, step);
        }
        if (r.why != NULL) {
            printf("FAIL %s step %zu: %s\n", text(line, "id", "?"), i, r.why);
            break;
        }
        if (restart) {
            glue_restart(&r.glue);
        }
    }
    *hash = hash_u64(glue_hash(&r.glue), r.verdicts);
    glue_close(&r.glue);
    return r.why == NULL;
}

int main(void)
{
    const char *shared = getenv("HWAL_SHARED");
    char        path[4096];
    static char line[LINE_MAX_BYTES];
    int         passed = 0;
    int         total  = 0;
    snprintf(path, sizeof path, "%s/conformance/risk/vectors.jsonl", shared ? shared : "../shared");
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        printf("SKIP risk vectors: no %s (set HWAL_SHARED)\n", path);
        return 77;
    }
    while (fgets(line, sizeof line, file)) {
        json_t  *json = json_loads(line, 0, NULL);
        uint64_t hash[3];
        total++;
        bool ok = json != NULL && case_run(json, false, &hash[0]) && case_run(json, false, &hash[1]) &&
                  case_run(json, true, &hash[2]);
        if (ok && (hash[0] != hash[1] || hash[0] != hash[2])) {
            printf("FAIL %s: %s gives other bytes\n", text(json, "id", "?"),
                   hash[0] != hash[1] ? "a second run" : "a restart");
            ok = false;
        }
        if (json == NULL) {
            printf("FAIL line %d: not JSON\n", total);
        }
        passed += ok;
        json_decref(json);
    }
    fclose(file);
    printf("risk: passed %d / %d\n", passed, total);
    return passed == total && total > 0 ? 0 : 1;
}
