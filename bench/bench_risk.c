/* What the risk gate costs: the whole chain of checks with reservation, for an account that is at work: a dozen orders
 * of its own rest in the book, its rate window is nine tenths full, every limit is set. */
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "core/order/order.h"
#include "core/risk/risk.h"
#include "core/types/ids.h"

#define RESTING 12
#define STEP_NS (11 * NS_PER_MS) /* between two requests: 90 of 100 in the window of a second */

typedef struct gate {
    risk_t        *risk;
    order_table_t *orders;
    void          *risk_mem, *order_mem;
    instrument_t   ins;
    risk_md_t      md;
    now_t          now;
    uint64_t       seq;
    uint64_t       random;
    uint64_t       checksum;
} gate_t;

static void open_state(risk_t *risk, control_kind_t kind, scope_t scope, uint32_t id, int64_t value)
{
    const control_t c = {.kind = (uint8_t)kind, .scope_type = (uint8_t)scope, .scope_id = id, .value = value};
    risk_control(risk, &c);
}

static err_t gate_limits(risk_t *risk)
{
    static const struct {
        scope_t  scope;
        uint32_t id1, id2;
    } scopes[] = {{SCOPE_ACCOUNT, 1, 0},
                  {SCOPE_VENUE, 1, 0},
                  {SCOPE_STRATEGY, 1, 0},
                  {SCOPE_INSTRUMENT, 1, 0},
                  {SCOPE_ACCOUNT_INSTRUMENT, 1, 1},
                  {SCOPE_STRATEGY_INSTRUMENT, 1, 1}};
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        risk_limits_t l;
        const scope_t s = scopes[i].scope;
        risk_limits_default(s, &l);
        if (s == SCOPE_ACCOUNT) {
            l.max_gross = l.max_net = l.max_open_value = l.max_day_loss = l.max_realised_loss = l.max_drawdown =
                INT64_C(1) << 50;
            l.value_w_max = INT64_C(1) << 60;
        }
        l.max_value = s == SCOPE_ACCOUNT || s == SCOPE_INSTRUMENT ? INT64_C(1) << 50 : 0;
        l.max_qty   = s == SCOPE_INSTRUMENT || s == SCOPE_ACCOUNT_INSTRUMENT ? 1000000 : 0;
        l.max_long = l.max_short = s == SCOPE_ACCOUNT_INSTRUMENT || s == SCOPE_STRATEGY_INSTRUMENT ? 1000000 : 0;
        const err_t err          = risk_limits_set(risk, s, scopes[i].id1, scopes[i].id2, &l);
        if (err) {
            return err;
        }
    }
    return ERR_OK;
}

static err_t gate_open(gate_t *g, uint64_t seed)
{
    const instrument_def_t   def       = {.instrument_id = 1,
                                          .venue_id      = 1,
                                          .kind          = INSTRUMENT_LINEAR,
                                          .px_exp        = 2,
                                          .qty_exp       = 3,
                                          .money_exp     = 8,
                                          .settle_ccy    = ccy_pack("USDT"),
                                          .lot           = 1,
                                          .min_qty       = 1,
                                          .mult          = 1};
    const tick_band_t        band      = {0, 10};
    const risk_account_cfg_t account   = {.ccy       = def.settle_ccy,
                                          .tenant_id = 1,
                                          .money_exp = 8,
                                          .may_trade = 1,
                                          .may_short = 1,
                                          .ord_types = 6,
                                          .venues    = ~1ull};
    const order_cfg_t        order_cfg = {.orders_max = 65536, .fills_max = 1024, .instruments_max = 1};
    risk_cfg_t               cfg;
    risk_cfg_default(&cfg);
    cfg.accounts_max = cfg.strategies_max = cfg.instruments_max = 1;

    *g    = (gate_t){.random = seed, .now = {.mono_ns = NS_PER_S, .utc_ns = NS_PER_S}};
    g->md = (risk_md_t){
        .bid_px = 6160000, .ask_px = 6160010, .last_px = 6160000, .has_bid = 1, .has_ask = 1, .has_last = 1};

    const size_t risk_bytes = risk_footprint(&cfg), order_bytes = order_footprint(&order_cfg);
    g->risk_mem  = risk_bytes ? aligned_alloc(4096, (risk_bytes + 4095) & ~(size_t)4095) : NULL;
    g->order_mem = order_bytes ? aligned_alloc(4096, (order_bytes + 4095) & ~(size_t)4095) : NULL;
    err_t err    = instrument_init(&g->ins, &def, "BENCH", &band, 1);
    if (err || !g->risk_mem || !g->order_mem || !risk_new(g->risk_mem, &cfg) || !order_new(g->order_mem, &order_cfg)) {
        return err ? err : err_wrap(ERR_LIMIT, "risk gate");
    }
    g->risk   = risk_join(g->risk_mem);
    g->orders = order_join(g->order_mem);
    err       = risk_account_open(g->risk, 1, &account);
    err       = err ? err : risk_strategy_open(g->risk, 1, 1, 1);
    err       = err ? err : gate_limits(g->risk);
    open_state(g->risk, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 1);
    open_state(g->risk, CONTROL_CLOCK, SCOPE_GLOBAL, 0, 1);
    open_state(g->risk, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 1);
    open_state(g->risk, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_OPEN);
    return err;
}

static order_req_t request(gate_t *g, order_action_t action, int64_t px, int64_t qty)
{
    g->now.mono_ns += STEP_NS;
    g->now.utc_ns += STEP_NS;
    g->md.book_mono_ns = g->md.last_mono_ns = g->now.mono_ns - 1000;
    return (order_req_t){.cl_ord_id       = cl_ord_id_make(1, 1, ++g->seq),
                         .tenant_id       = 1,
                         .account_id      = 1,
                         .strategy_id     = 1,
                         .instrument_id   = 1,
                         .px              = px,
                         .qty             = qty,
                         .created_mono_ns = g->now.mono_ns,
                         .action          = (uint8_t)action,
                         .side            = SIDE_BUY,
                         .ord_type        = ORD_TYPE_LIMIT,
                         .tif             = TIF_GTC};
}

static uint16_t check(const bench_t *bench, gate_t *g, const order_req_t *req, const order_t *target, risk_out_t *out,
                      bench_series_t *series)
{
    const risk_in_t in    = {.req       = req,
                             .ins       = &g->ins,
                             .md        = &g->md,
                             .target    = target,
                             .orders    = g->orders,
                             .now       = g->now,
                             .order_seq = g->seq};
    const uint64_t  begin = bench_begin();
    risk_check(g->risk, &in, out);
    const uint64_t ticks = bench_end() - begin;
    if (series) {
        bench_single(bench, series, ticks);
    }
    g->checksum = g->checksum * 31 + out->verdict.code + (uint64_t)out->px;
    return out->verdict.code;
}

static void finish(gate_t *g, uint64_t cl_ord_id)
{
    const exec_report_t done = {
        .cl_ord_id = cl_ord_id, .exec_type = EXEC_TYPE_CANCELED, .cum_qty = -1, .leaves_qty = -1};
    order_effect_t effect;
    order_apply_exec(g->orders, &done, &g->ins, &effect);
    risk_exec(g->risk, &g->ins, &effect);
}

typedef struct gate_series {
    bench_series_t accepted, denied, replaced, cancelled;
} gate_series_t;

/* One life: NEW, REPLACE, CANCEL, done; and a NEW that fails at the collar, which is three quarters down the chain. */
static err_t life(const bench_t *bench, gate_t *g, gate_series_t *s)
{
    risk_out_t    out;
    const int64_t px      = 6150000 - 10 * (int64_t)(bench_random(&g->random) % 2000);
    const order_req_t new = request(g, ORDER_ACTION_NEW, px, 1 + (int64_t)(g->seq % 1000));
    if (check(bench, g, &new, NULL, &out, s ? &s->accepted : NULL)) {
        return err_set(ERR_INTERNAL, "bench risk: denied with %u", out.verdict.code);
    }
    const uint32_t row     = order_open(g->orders, &new, out.px_value);
    order_req_t    replace = request(g, ORDER_ACTION_REPLACE, px - 10, new.qty + 1);
    replace.orig_cl_ord_id = new.cl_ord_id;
    if (check(bench, g, &replace, order_at(g->orders, row), &out, s ? &s->replaced : NULL)) {
        return err_set(ERR_INTERNAL, "bench risk: replace denied with %u", out.verdict.code);
    }
    order_replace_sent(g->orders, row, out.px, out.px_value, replace.qty);
    order_req_t cancel    = request(g, ORDER_ACTION_CANCEL, 0, 0);
    cancel.orig_cl_ord_id = new.cl_ord_id;
    if (check(bench, g, &cancel, order_at(g->orders, row), &out, s ? &s->cancelled : NULL)) {
        return err_set(ERR_INTERNAL, "bench risk: cancel denied with %u", out.verdict.code);
    }
    order_cancel_sent(g->orders, row, g->now);
    finish(g, new.cl_ord_id);
    const order_req_t far = request(g, ORDER_ACTION_NEW, 7000000, new.qty);
    if (check(bench, g, &far, NULL, &out, s ? &s->denied : NULL) != RISK_COLLAR_BUY) {
        return err_set(ERR_INTERNAL, "bench risk: %u instead of a collar", out.verdict.code);
    }
    return ERR_OK;
}

static err_t rest(const bench_t *bench, gate_t *g)
{
    for (int i = 0; i < RESTING; i++) {
        risk_out_t        out;
        const order_req_t req = request(g, ORDER_ACTION_NEW, 6140000 - 10 * i, 50);
        if (check(bench, g, &req, NULL, &out, NULL)) {
            return err_set(ERR_INTERNAL, "bench risk: resting order denied with %u", out.verdict.code);
        }
        order_open(g->orders, &req, out.px_value);
    }
    return ERR_OK;
}

err_t bench_risk(bench_t *bench)
{
    const uint64_t lives = bench->samples ? bench->samples : 100000;
    gate_series_t  s     = {0};
    gate_t         g;
    err_t          err = gate_open(&g, bench->seed);
    err                = err ? err : rest(bench, &g);
    for (uint64_t i = 0; !err && i < lives / 10 + 100; i++) {
        err = life(bench, &g, NULL); /* warm-up */
    }
    for (uint64_t i = 0; !err && i < lives; i++) {
        err = life(bench, &g, &s);
    }
    const struct {
        const char     *name;
        bench_series_t *series;
    } rows[] = {{"new-accepted", &s.accepted},
                {"replace-accepted", &s.replaced},
                {"cancel-accepted", &s.cancelled},
                {"new-denied-collar", &s.denied}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!err) {
            bench_report(bench, &(bench_result_t){.name     = rows[i].name,
                                                  .unit     = "ns",
                                                  .regime   = "single",
                                                  .on       = {"every check", "reservation", "12 own orders resting"},
                                                  .series   = rows[i].series,
                                                  .checksum = g.checksum,
                                                  .bytes    = sizeof(order_req_t)});
        }
        bench_free(rows[i].series);
    }
    free(g.risk_mem);
    free(g.order_mem);
    return err;
}
