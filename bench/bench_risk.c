/* What the risk gate costs with everything on: every check of the chain with its limits set (credit of account, tenant and
 * firm, margin by own funds, turnover, participation in the average day and in the visible depth, a told venue budget,
 * order-to-trade, limits of tenant x instrument), and the reservation.
 *
 *   hot      one account at work on one instrument: a dozen orders of its own rest, its rate window is nine tenths full
 *   random   64 accounts x 1,000 instruments, a strategy each, in random order: rows are cold, the venue's window is full
 *   mark     a new price of an instrument that 64 accounts hold: each is valued anew */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/bench.h"
#include "core/order/order.h"
#include "core/risk/risk.h"
#include "core/types/ids.h"

#define RESTING 12
#define OPEN_MAX 4096u /* open orders of the random regime */

typedef struct gate {
    risk_t        *risk;
    order_table_t *orders;
    void          *risk_mem, *order_mem;
    instrument_t  *ins; /* by id */
    risk_md_t     *md;
    uint32_t       accounts, instruments;
    int64_t        step_ns; /* between two requests */
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

/* Limits that are far away, but of the rates: each is tested, none is reached. */
static err_t limits(risk_t *risk, scope_t s, uint32_t id1, uint32_t id2)
{
    const int64_t far = INT64_C(1) << 58;
    risk_limits_t l;
    risk_limits_default(s, &l);
    switch (s) {
    case SCOPE_ACCOUNT:
        l.max_value = l.max_gross = l.max_net = l.max_open_value = l.max_day_loss = l.max_realised_loss = far;
        l.max_drawdown = l.max_credit = l.max_turnover = l.value_w_max = far;
        break;
    case SCOPE_INSTRUMENT:
        l.max_value = far;
        l.max_qty   = 1000000;
        l.depth_bp  = RISK_BP;
        break;
    case SCOPE_ACCOUNT_INSTRUMENT:
        l.max_qty  = 1000000;
        l.max_long = l.max_short = 1000000;
        break;
    case SCOPE_STRATEGY_INSTRUMENT: l.max_long = l.max_short = 1000000; break;
    case SCOPE_TENANT_INSTRUMENT: l.max_long = l.max_short = 100000000; break;
    case SCOPE_STRATEGY:
        l.otr_max  = INT64_C(1) << 40;
        l.reject_n = 1024;
        break;
    case SCOPE_VENUE: l.rate_n = l.msg_n = l.cancel_n = 1024; break;
    default: l.max_credit = far; break; /* TENANT, GLOBAL */
    }
    return risk_limits_set(risk, s, id1, id2, &l);
}

static err_t gate_limits(const gate_t *g)
{
    err_t err = limits(g->risk, SCOPE_VENUE, 1, 0);
    err       = err ? err : limits(g->risk, SCOPE_TENANT, 1, 0);
    err       = err ? err : limits(g->risk, SCOPE_GLOBAL, 0, 0);
    for (uint32_t id = 1; !err && id <= g->accounts; id++) {
        err = limits(g->risk, SCOPE_ACCOUNT, id, 0);
        err = err ? err : limits(g->risk, SCOPE_STRATEGY, id, 0);
    }
    for (uint32_t id = 1; !err && id <= g->instruments; id++) {
        err = limits(g->risk, SCOPE_INSTRUMENT, id, 0);
        err = err ? err : limits(g->risk, SCOPE_TENANT_INSTRUMENT, 1, id);
        for (uint32_t account = 1; !err && account <= g->accounts; account++) {
            err = limits(g->risk, SCOPE_ACCOUNT_INSTRUMENT, account, id);
            err = err ? err : limits(g->risk, SCOPE_STRATEGY_INSTRUMENT, account, id);
        }
        risk_volume(g->risk, id, INT64_C(1) << 40);
    }
    return err;
}

static err_t gate_instruments(const gate_t *g)
{
    const tick_band_t band = {0, 10};
    for (uint32_t id = 1; id <= g->instruments; id++) {
        const instrument_def_t def = {.instrument_id = id,
                                      .venue_id      = 1,
                                      .kind          = INSTRUMENT_LINEAR,
                                      .px_exp        = 2,
                                      .qty_exp       = 3,
                                      .money_exp     = 8,
                                      .settle_ccy    = ccy_pack("USDT"),
                                      .lot           = 1,
                                      .min_qty       = 1,
                                      .mult          = 1};
        const err_t            err = instrument_init(&g->ins[id], &def, "BENCH", &band, 1);
        if (err) {
            return err;
        }
        g->md[id] = (risk_md_t){.bid_px    = 6160000,
                                .ask_px    = 6160010,
                                .last_px   = 6160000,
                                .bid_depth = 1000000,
                                .ask_depth = 1000000,
                                .has_bid   = 1,
                                .has_ask   = 1,
                                .has_last  = 1};
    }
    return ERR_OK;
}

static err_t gate_accounts(const gate_t *g)
{
    const risk_account_cfg_t account = {.ccy       = ccy_pack("USDT"),
                                        .tenant_id = 1,
                                        .money_exp = 8,
                                        .may_trade = 1,
                                        .may_short = 1,
                                        .funds     = RISK_FUNDS_MARGIN,
                                        .ord_types = 6,
                                        .venues    = ~1ull};
    for (uint32_t id = 1; id <= g->accounts; id++) {
        err_t err = risk_account_open(g->risk, id, &account);
        err       = err ? err : risk_strategy_open(g->risk, id, 1, 1);
        if (err) {
            return err;
        }
        risk_equity(g->risk, id, INT64_C(1) << 60, 0);
    }
    return ERR_OK;
}

static void *pages(size_t bytes)
{
    const size_t huge = (size_t)2 << 20; /* 64,000 rows on small pages miss the TLB each time */
    const size_t all  = (bytes + huge - 1) & ~(huge - 1);
    void        *mem  = bytes ? aligned_alloc(huge, all) : NULL;
    if (mem) {
        madvise(mem, all, MADV_HUGEPAGE);
    }
    return mem;
}

static void gate_close(gate_t *g)
{
    free(g->risk_mem);
    free(g->order_mem);
    free(g->ins);
    free(g->md);
}

static err_t gate_open(gate_t *g, uint64_t seed, uint32_t accounts, uint32_t instruments, int64_t step_ns)
{
    const order_cfg_t order_cfg = {.orders_max = 65536, .fills_max = 1024, .instruments_max = instruments};
    risk_cfg_t        cfg;
    risk_cfg_default(&cfg);
    cfg.accounts_max = cfg.strategies_max = accounts;
    cfg.instruments_max                   = instruments;
    *g           = (gate_t){.accounts = accounts, .instruments = instruments, .step_ns = step_ns, .random = seed};
    g->now       = (now_t){.mono_ns = 100 * NS_PER_S, .utc_ns = 100 * NS_PER_S};
    g->risk_mem  = pages(risk_footprint(&cfg));
    g->order_mem = pages(order_footprint(&order_cfg));
    g->ins       = calloc(instruments + 1, sizeof *g->ins);
    g->md        = calloc(instruments + 1, sizeof *g->md);
    if (!g->ins || !g->md || !g->risk_mem || !g->order_mem || !risk_new(g->risk_mem, &cfg) ||
        !order_new(g->order_mem, &order_cfg)) {
        return err_wrap(ERR_LIMIT, "risk gate");
    }
    g->risk   = risk_join(g->risk_mem);
    g->orders = order_join(g->order_mem);
    err_t err = gate_instruments(g);
    err       = err ? err : gate_accounts(g);
    err       = err ? err : gate_limits(g);
    open_state(g->risk, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 1);
    open_state(g->risk, CONTROL_CLOCK, SCOPE_GLOBAL, 0, 1);
    open_state(g->risk, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 1);
    open_state(g->risk, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_OPEN);
    return err;
}

static order_req_t request(gate_t *g, uint32_t account, uint32_t id, order_action_t action, int64_t px, int64_t qty)
{
    g->now.mono_ns += g->step_ns;
    g->now.utc_ns += g->step_ns;
    g->md[id].book_mono_ns = g->md[id].last_mono_ns = g->now.mono_ns - 1000;
    return (order_req_t){.cl_ord_id       = cl_ord_id_make(1, 1, ++g->seq),
                         .tenant_id       = 1,
                         .account_id      = account,
                         .strategy_id     = account,
                         .instrument_id   = id,
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
                             .ins       = &g->ins[req->instrument_id],
                             .md        = &g->md[req->instrument_id],
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

static void finish(gate_t *g, uint32_t id, uint64_t cl_ord_id)
{
    const exec_report_t done = {
        .cl_ord_id = cl_ord_id, .exec_type = EXEC_TYPE_CANCELED, .cum_qty = -1, .leaves_qty = -1};
    order_effect_t effect;
    order_apply_exec(g->orders, &done, &g->ins[id], &effect);
    risk_exec(g->risk, &g->ins[id], &effect);
}

static void report(const bench_t *bench, const gate_t *g, const char *name, const char *world, bench_series_t *series)
{
    bench_report(bench, &(bench_result_t){.name     = name,
                                          .unit     = "ns",
                                          .regime   = "single",
                                          .on       = {"every check", "every limit set", "reservation", world},
                                          .series   = series,
                                          .checksum = g->checksum,
                                          .bytes    = sizeof(order_req_t)});
}

/* ---- hot --------------------------------------------------------------------------------------------------------- */

typedef struct hot_series {
    bench_series_t accepted, denied, replaced, cancelled;
} hot_series_t;

/* One life: NEW, REPLACE, CANCEL, done; and a NEW that fails at the collar, which is three quarters down the chain. */
static err_t life(const bench_t *bench, gate_t *g, hot_series_t *s)
{
    risk_out_t    out;
    const int64_t px      = 6150000 - 10 * (int64_t)(bench_random(&g->random) % 2000);
    const order_req_t new = request(g, 1, 1, ORDER_ACTION_NEW, px, 1 + (int64_t)(g->seq % 1000));
    if (check(bench, g, &new, NULL, &out, s ? &s->accepted : NULL)) {
        return err_set(ERR_INTERNAL, "bench risk: denied with %u", out.verdict.code);
    }
    const uint32_t row     = order_open(g->orders, &new, out.px_value);
    order_req_t    replace = request(g, 1, 1, ORDER_ACTION_REPLACE, px - 10, new.qty + 1);
    replace.orig_cl_ord_id = new.cl_ord_id;
    if (check(bench, g, &replace, order_at(g->orders, row), &out, s ? &s->replaced : NULL)) {
        return err_set(ERR_INTERNAL, "bench risk: replace denied with %u", out.verdict.code);
    }
    order_replace_sent(g->orders, row, out.px, out.px_value, replace.qty);
    order_req_t cancel    = request(g, 1, 1, ORDER_ACTION_CANCEL, 0, 0);
    cancel.orig_cl_ord_id = new.cl_ord_id;
    if (check(bench, g, &cancel, order_at(g->orders, row), &out, s ? &s->cancelled : NULL)) {
        return err_set(ERR_INTERNAL, "bench risk: cancel denied with %u", out.verdict.code);
    }
    order_cancel_sent(g->orders, row, g->now);
    finish(g, 1, new.cl_ord_id);
    const order_req_t far = request(g, 1, 1, ORDER_ACTION_NEW, 7000000, new.qty);
    if (check(bench, g, &far, NULL, &out, s ? &s->denied : NULL) != RISK_COLLAR_BUY) {
        return err_set(ERR_INTERNAL, "bench risk: %u instead of a collar", out.verdict.code);
    }
    return ERR_OK;
}

static err_t rest(const bench_t *bench, gate_t *g)
{
    for (int i = 0; i < RESTING; i++) {
        risk_out_t        out;
        const order_req_t req = request(g, 1, 1, ORDER_ACTION_NEW, 6140000 - 10 * i, 50);
        if (check(bench, g, &req, NULL, &out, NULL)) {
            return err_set(ERR_INTERNAL, "bench risk: resting order denied with %u", out.verdict.code);
        }
        order_open(g->orders, &req, out.px_value);
    }
    return ERR_OK;
}

static err_t hot(bench_t *bench)
{
    const uint64_t lives = bench->samples ? bench->samples : 100000;
    hot_series_t   s     = {0};
    gate_t         g;
    err_t          err = gate_open(&g, bench->seed, 1, 1, 11 * NS_PER_MS); /* 90 of 100 in the window of a second */
    err                = err ? err : rest(bench, &g);
    for (uint64_t i = 0; !err && i < lives / 10 + 100; i++) {
        err = life(bench, &g, NULL); /* warm-up */
    }
    for (uint64_t i = 0; !err && i < lives; i++) {
        err = life(bench, &g, &s);
    }
    if (!err) {
        report(bench, &g, "new-accepted", "12 own orders resting", &s.accepted);
        report(bench, &g, "replace-accepted", "12 own orders resting", &s.replaced);
        report(bench, &g, "cancel-accepted", "12 own orders resting", &s.cancelled);
        report(bench, &g, "new-denied-collar", "12 own orders resting", &s.denied);
        bench_bar(bench, false, bench_percentile(&s.accepted, 0.5), 60, "ns", "risk, hot account, p50");
        bench_bar(bench, false, bench_percentile(&s.accepted, 0.99), 150, "ns", "risk, hot account, p99");
    }
    bench_free(&s.accepted);
    bench_free(&s.replaced);
    bench_free(&s.cancelled);
    bench_free(&s.denied);
    gate_close(&g);
    return err;
}

/* ---- random ------------------------------------------------------------------------------------------------------ */

typedef struct placed {
    uint64_t cl_ord_id;
    uint32_t instrument_id;
} placed_t;

static err_t place(const bench_t *bench, gate_t *g, placed_t *slot, bench_series_t *series)
{
    const uint32_t    account = 1 + (uint32_t)(bench_random(&g->random) % g->accounts);
    const uint32_t    id      = 1 + (uint32_t)(bench_random(&g->random) % g->instruments);
    const int64_t     px      = 6150000 - 10 * (int64_t)(bench_random(&g->random) % 2000);
    const order_req_t req     = request(g, account, id, ORDER_ACTION_NEW, px, 1 + (int64_t)(g->seq % 100));
    risk_out_t        out;
    if (slot->cl_ord_id) {
        finish(g, slot->instrument_id, slot->cl_ord_id);
    }
    if (check(bench, g, &req, NULL, &out, series)) {
        return err_set(ERR_INTERNAL, "bench risk: random order denied with %u", out.verdict.code);
    }
    order_open(g->orders, &req, out.px_value);
    *slot = (placed_t){.cl_ord_id = req.cl_ord_id, .instrument_id = id};
    return ERR_OK;
}

static err_t scattered(bench_t *bench)
{
    static placed_t slots[OPEN_MAX];
    const uint64_t  n = bench->samples ? bench->samples : 200000;
    bench_series_t  s = {0};
    gate_t          g;
    err_t           err = gate_open(&g, bench->seed, 64, 1000, 1100 * NS_PER_US); /* the venue's window of 1,024 */
    memset(slots, 0, sizeof slots);
    for (uint64_t i = 0; !err && i < n / 4 + OPEN_MAX; i++) {
        err = place(bench, &g, &slots[i % OPEN_MAX], NULL);
    }
    for (uint64_t i = 0; !err && i < n; i++) {
        err = place(bench, &g, &slots[i % OPEN_MAX], &s);
    }
    if (!err) {
        report(bench, &g, "new-accepted-random", "64 accounts x 1000 instruments, 4096 open orders", &s);
        bench_bar(bench, false, bench_percentile(&s, 0.5), 100, "ns", "risk, 64 x 1000 at random, p50");
        bench_bar(bench, false, bench_percentile(&s, 0.99), 300, "ns", "risk, 64 x 1000 at random, p99");
    }
    bench_free(&s);
    gate_close(&g);
    return err;
}

/* ---- mark -------------------------------------------------------------------------------------------------------- */

static err_t mark(bench_t *bench)
{
    const uint64_t n = bench->samples ? bench->samples : 20000;
    bench_series_t s = {0};
    gate_t         g;
    err_t          err = gate_open(&g, bench->seed, 64, 4, NS_PER_MS);
    for (uint32_t account = 1; !err && account <= g.accounts; account++) {
        risk_fill(g.risk, &g.ins[1], account, account, account & 1 ? 100 : -100, 6160000);
    }
    for (uint64_t i = 0; !err && i < n; i++) {
        risk_md_t *md = &g.md[1];
        md->bid_px    = 6160000 + 10 * (int64_t)(i & 1);
        md->ask_px    = md->bid_px + 10;
        g.now.mono_ns += NS_PER_MS;
        md->book_mono_ns     = g.now.mono_ns;
        const uint64_t begin = bench_begin();
        risk_mark(g.risk, &g.ins[1], md, g.now);
        bench_single(bench, &s, bench_end() - begin);
    }
    if (!err) {
        report(bench, &g, "mark-64-holders", "64 accounts hold the instrument", &s);
    }
    bench_free(&s);
    gate_close(&g);
    return err;
}

err_t bench_risk(bench_t *bench)
{
    err_t err = hot(bench);
    err       = err ? err : scattered(bench);
    return err ? err : mark(bench);
}
