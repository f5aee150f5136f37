/* Set-up, control and reading of the gate: what is wrong is said and changes nothing; what is not there is not read. Loss
 * limits; exposure at the ends of what fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/risk/risk_private.h"
#include "tests/lib/glue.h"

#define AT(ns) ((now_t){.mono_ns = (ns), .utc_ns = (ns)})
#define S(s) ((int64_t)(s)*NS_PER_S)

static void open_gate(glue_t *g)
{
    risk_cfg_t cfg;
    risk_cfg_default(&cfg);
    glue_open(g, cfg, 8, 8);
    glue_account(g, 1);
    const instrument_def_t def = glue_def(1);
    glue_instrument(g, &def, 1);
}

static void test_setup_cfg(void **state)
{
    (void)state;
    risk_cfg_t cfg;
    risk_cfg_default(&cfg);
    assert_true(risk_footprint(&cfg) > 0);
    cfg.day_offset_ns = RISK_DAY_NS;
    assert_true(risk_footprint(&cfg) > 0);
    cfg.day_offset_ns = RISK_DAY_NS + 1;
    assert_int_equal(risk_footprint(&cfg), 0);
    cfg.day_offset_ns = -RISK_DAY_NS;
    assert_true(risk_footprint(&cfg) > 0);
    cfg.day_offset_ns = -RISK_DAY_NS - 1;
    assert_int_equal(risk_footprint(&cfg), 0);
    risk_cfg_default(&cfg);
    cfg.fx_max = 0;
    assert_int_equal(risk_footprint(&cfg), 0);
    cfg.fx_max = RISK_FX_MAX + 1;
    assert_int_equal(risk_footprint(&cfg), 0);
    assert_null(risk_new(NULL, &cfg));
    risk_cfg_default(&cfg);
    const size_t bytes = (risk_footprint(&cfg) + 63) / 64 * 64;
    char        *mem   = aligned_alloc(64, bytes);
    risk_t      *r     = risk_join(risk_new(mem, &cfg));
    assert_non_null(r);
    assert_null(risk_join(mem + 8));
    r->size_bytes++;
    assert_null(risk_join(mem));
    r->size_bytes--;
    r->magic++;
    assert_null(risk_join(mem));
    free(mem);
}

static void test_setup_refuses(void **state)
{
    (void)state;
    glue_t g;
    open_gate(&g);
    risk_account_cfg_t       a = risk_account(g.risk, 1)->cfg;
    const risk_account_cfg_t b = a;
    const uint64_t           h = risk_hash(1, g.risk);
    assert_int_equal(risk_account_open(g.risk, 0, &a), ERR_ARG);
    assert_int_equal(risk_account_open(g.risk, GLUE_ACCOUNTS + 1, &a), ERR_ARG);
    a.tenant_id = 2;
    assert_int_equal(risk_account_open(g.risk, 2, &a), ERR_ARG);
    a     = b;
    a.ccy = 1;
    assert_int_equal(risk_account_open(g.risk, 1, &a), ERR_EXISTS);
    a = b;
    a.money_exp++;
    assert_int_equal(risk_account_open(g.risk, 1, &a), ERR_EXISTS);
    a       = b;
    a.funds = RISK_FUNDS_MARGIN + 1;
    assert_int_equal(risk_account_open(g.risk, 1, &a), ERR_ARG);
    assert_int_equal(risk_strategy_open(g.risk, 0, 1, 1), ERR_ARG);
    assert_int_equal(risk_strategy_open(g.risk, 65, 1, 1), ERR_ARG);
    assert_int_equal(risk_strategy_open(g.risk, 1, 0, 1), ERR_ARG);
    assert_int_equal(risk_permit(g.risk, 0, 1, true), ERR_ARG);
    assert_int_equal(risk_permit(g.risk, 1, 0, true), ERR_ARG);
    assert_int_equal(risk_restrict(g.risk, 0, true), ERR_ARG);
    assert_int_equal(risk_hash(1, g.risk), h);
    glue_close(&g);
}

static void test_setup_tenants(void **state)
{
    (void)state;
    risk_cfg_t         cfg;
    risk_account_cfg_t a = {.ccy = 1, .tenant_id = 1};
    risk_cfg_default(&cfg);
    cfg.tenants_max = 2;
    void   *mem     = aligned_alloc(64, risk_footprint(&cfg));
    risk_t *r       = risk_join(risk_new(mem, &cfg));
    assert_int_equal(risk_account_open(r, 1, &a), ERR_OK);
    a.tenant_id = 2;
    assert_int_equal(risk_account_open(r, 1, &a), ERR_EXISTS);
    free(mem);
}

static void test_control_refuses(void **state)
{
    (void)state;
    glue_t g;
    open_gate(&g);
    static const control_t bad[] = {
        {.kind = CONTROL_NONE, .value = 1},
        {.kind = CONTROL_KIND_COUNT, .value = 1},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_GLOBAL, .value = 2},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_NONE, .value = 1},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_TENANT, .scope_id = 2, .value = 1},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_ACCOUNT, .scope_id = 9, .value = 1},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_STRATEGY, .scope_id = 65, .value = 1},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_VENUE, .scope_id = 9, .value = 1},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_INSTRUMENT, .scope_id = 99, .value = 1},
        {.kind = CONTROL_SESSION, .scope_type = SCOPE_VENUE, .scope_id = 1, .value = -1},
        {.kind = CONTROL_SESSION, .scope_type = SCOPE_VENUE, .scope_id = 1, .value = SESSION_CANCEL_ONLY + 1},
        {.kind = CONTROL_SESSION, .scope_type = SCOPE_VENUE, .scope_id = 9, .value = SESSION_OPEN},
        {.kind = CONTROL_SESSION, .scope_type = SCOPE_INSTRUMENT, .scope_id = 99, .value = SESSION_OPEN},
        {.kind = CONTROL_SESSION, .scope_type = SCOPE_ACCOUNT, .scope_id = 1, .value = SESSION_OPEN},
        {.kind = CONTROL_REDUCE_ONLY, .scope_type = SCOPE_GLOBAL, .value = 1},
        {.kind = CONTROL_REDUCE_ONLY, .scope_type = SCOPE_ACCOUNT, .scope_id = 0, .value = 1},
        {.kind = CONTROL_VENUE_LINK, .scope_type = SCOPE_ACCOUNT, .scope_id = 1, .value = 1},
        {.kind = CONTROL_RING_FULL, .scope_type = SCOPE_VENUE, .scope_id = 9, .value = 1},
    };
    const uint64_t hash = risk_hash(1, g.risk);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(risk_control(g.risk, &bad[i]), ERR_ARG);
        assert_int_equal(risk_hash(1, g.risk), hash);
    }
    glue_close(&g);
}

static void test_reading(void **state)
{
    (void)state;
    glue_t               g;
    risk_exposure_t      e;
    risk_account_state_t a;
    risk_venue_state_t   v;
    open_gate(&g);
    assert_int_equal(risk_strategy_open(g.risk, 1, 1, 1), ERR_OK);
    static const uint32_t no_account[] = {0, 2, GLUE_ACCOUNTS + 1};
    for (int i = 0; i < 3; i++) {
        assert_false(risk_exposure(g.risk, no_account[i], 1, &e));
        assert_false(risk_account_state(g.risk, no_account[i], &a));
        assert_int_equal(risk_account_code(g.risk, no_account[i]), 0);
    }
    assert_false(risk_exposure(g.risk, 1, 0, &e));
    assert_false(risk_exposure(g.risk, 1, 99, &e));
    assert_true(risk_exposure(g.risk, 1, 1, &e));
    static const uint32_t no_strategy[] = {0, 2, 65};
    for (int i = 0; i < 3; i++) {
        assert_false(risk_strategy_exposure(g.risk, no_strategy[i], 1, &e));
        assert_false(risk_strategy_killed(g.risk, no_strategy[i]));
    }
    assert_false(risk_strategy_exposure(g.risk, 1, 0, &e));
    assert_false(risk_strategy_exposure(g.risk, 1, 99, &e));
    assert_true(risk_strategy_exposure(g.risk, 1, 1, &e));
    assert_false(risk_strategy_killed(g.risk, 1));
    glue_control(&g, CONTROL_KILL, SCOPE_STRATEGY, 1, 1);
    assert_true(risk_strategy_killed(g.risk, 1));
    assert_false(risk_venue_state(g.risk, 0, &v));
    assert_false(risk_venue_state(g.risk, 9, &v));
    glue_control(&g, CONTROL_RING_FULL, SCOPE_VENUE, 1, 1);
    assert_true(risk_venue_state(g.risk, 1, &v));
    assert_true(v.ring_full && !v.link_up);
    glue_control(&g, CONTROL_RING_FULL, SCOPE_VENUE, 1, 0);
    glue_control(&g, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 1);
    assert_true(risk_venue_state(g.risk, 1, &v));
    assert_true(!v.ring_full && v.link_up);
    /* why an account cannot open: the gravest first; taken away one after the other */
    assert_int_equal(risk_account_code(g.risk, 1), 0);
    glue_control(&g, CONTROL_UNRECONCILED, SCOPE_ACCOUNT, 1, 1);
    assert_int_equal(risk_account_code(g.risk, 1), RISK_UNRECONCILED);
    glue_control(&g, CONTROL_RECOVERING, SCOPE_ACCOUNT, 1, 1);
    assert_int_equal(risk_account_code(g.risk, 1), RISK_RECOVERING);
    risk_account(g.risk, 1)->latched = RISK_DRAWDOWN;
    assert_int_equal(risk_account_code(g.risk, 1), RISK_DRAWDOWN);
    glue_control(&g, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, 1);
    assert_int_equal(risk_account_code(g.risk, 1), RISK_REDUCE_ONLY);
    glue_control(&g, CONTROL_KILL, SCOPE_ACCOUNT, 1, 1);
    assert_int_equal(risk_account_code(g.risk, 1), RISK_KILL_ACCOUNT);
    glue_control(&g, CONTROL_KILL, SCOPE_TENANT, 1, 1);
    assert_int_equal(risk_account_code(g.risk, 1), RISK_KILL_TENANT);
    glue_control(&g, CONTROL_KILL, SCOPE_GLOBAL, 0, 1);
    assert_int_equal(risk_account_code(g.risk, 1), RISK_KILL_GLOBAL);
    risk_row(g.risk, 1, 1)->open_value = (i128_t)INT64_MAX + 1;
    assert_true(risk_exposure(g.risk, 1, 1, &e));
    assert_int_equal(e.open_value, INT64_MAX);
    glue_close(&g);
}

/* ---- exposure at the ends of what fits --------------------------------------------------------------------------- */

static void test_exposure_ends(void **state)
{
    (void)state;
    glue_t g;
    open_gate(&g);
    const risk_account_cfg_t hedging = {.ccy = ccy_pack("USDT"), .tenant_id = 1, .hedging = 1};
    assert_int_equal(risk_account_open(g.risk, 2, &hedging), ERR_OK);
    order_effect_t f = {.row           = ORDER_NONE,
                        .strategy_id   = 65535, /* one that there is no room for */
                        .instrument_id = 1,
                        .status_after  = ORD_STATUS_NEW,
                        .booked        = 1,
                        .qty           = 1,
                        .px            = 1};
    assert_false(risk_exec(g.risk, &g.ins[1], &f)); /* no account: nobody to book it to */
    f.account_id = GLUE_ACCOUNTS + 1;
    assert_false(risk_exec(g.risk, &g.ins[1], &f));
    f.booked = 0;
    assert_true(risk_exec(g.risk, &g.ins[1], &f));
    f.booked     = 1;
    f.account_id = 2;
    assert_true(risk_exec(g.risk, &g.ins[1], &f));
    assert_int_equal(risk_row(g.risk, 2, 1)->pos, 1);
    f.qty = -INT64_MAX;
    assert_true(risk_exec(g.risk, &g.ins[1], &f));
    assert_int_equal(risk_row(g.risk, 2, 1)->short_qty, INT64_MAX - 1);
    f.qty = INT64_MIN; /* the sum leaves 63 bits: closed for good, and worth all there is */
    assert_true(risk_exec(g.risk, &g.ins[1], &f));
    assert_true(risk_row(g.risk, 2, 1)->flags & ROW_BROKEN);
    assert_int_equal(risk_row(g.risk, 2, 1)->value_long, INT64_MAX);
    assert_int_equal(risk_row(g.risk, 2, 1)->short_qty, INT64_MAX - 1);
    assert_int_equal(risk_holder_next(g.risk, 1, 0), 2);
    int64_t            value;
    const order_part_t hi = {.qty = INT64_MAX, .px_lo = 2, .px_hi = 2, .side = SIDE_BUY, .counts = 1};
    order_part_t       lo = {.qty = 4, .px_lo = -INT64_MAX / 2, .px_hi = 1, .side = SIDE_BUY, .counts = 1};
    assert_false(risk_part_value(&g.ins[1], &hi, &value));
    assert_int_equal(value, INT64_MAX);
    assert_false(risk_part_value(&g.ins[1], &lo, &value));
    lo.px_lo = -7;
    assert_true(risk_part_value(&g.ins[1], &lo, &value));
    assert_int_equal(value, 28);
    /* a need that is more than the firm's money can say */
    const risk_account_cfg_t foreign = {.ccy = ccy_pack("KRW"), .tenant_id = 1};
    assert_int_equal(risk_account_open(g.risk, 3, &foreign), ERR_OK);
    assert_true(risk_need_firm(g.risk, risk_account(g.risk, 3), 5) == INT64_MAX);
    assert_int_equal(risk_fx_set(g.risk, ccy_pack("KRW"), ccy_pack("EUR"), 1, 0, AT(1)), ERR_OK);
    assert_true(risk_need_firm(g.risk, risk_account(g.risk, 3), 5) == INT64_MAX);
    assert_int_equal(risk_fx_set(g.risk, ccy_pack("KRW"), ccy_pack("USDT"), 3, 0, AT(1)), ERR_OK);
    assert_true(risk_need_firm(g.risk, risk_account(g.risk, 3), 5) == 15);
    assert_true(risk_need_firm(g.risk, risk_account(g.risk, 3), (i128_t)INT64_MAX + 1) == INT64_MAX);
    assert_true(risk_need_firm(g.risk, risk_account(g.risk, 3), 0) == 0);
    glue_close(&g);
}

static void test_holders_many(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 62, 63, 64, 130};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        risk_cfg_t cfg;
        risk_cfg_default(&cfg);
        cfg.accounts_max     = sizes[s];
        void            *mem = aligned_alloc(64, risk_footprint(&cfg));
        risk_t          *r   = risk_join(risk_new(mem, &cfg));
        instrument_t     ins;
        instrument_def_t def = glue_def(1);
        assert_int_equal(instrument_init(&ins, &def, "TEST", &(tick_band_t){.tick = 1}, 1), ERR_OK);
        assert_int_equal(risk_holder_next(r, 1, 0), 0);
        for (uint32_t step = 1; step <= 63; step += 31) { /* every so many of them hold it */
            for (uint32_t id = 1; id <= sizes[s]; id++) {
                const int64_t has  = risk_row(r, id, 1)->pos;
                const int64_t want = id % step == 0;
                assert_true(has == want || risk_fill(r, &ins, id, 0, want - has, 1));
            }
            uint32_t next = 0;
            for (uint32_t id = 1; id <= sizes[s]; id++) {
                if (id % step == 0) {
                    next = risk_holder_next(r, 1, next);
                    assert_int_equal(next, id);
                }
            }
            assert_int_equal(risk_holder_next(r, 1, next), 0);
            assert_int_equal(risk_holder_next(r, 1, sizes[s]), 0);
        }
        free(mem);
    }
}

/* ---- loss -------------------------------------------------------------------------------------------------------- */

static risk_loss_event_t judged(glue_t *g, int64_t day, int64_t equity, int64_t t)
{
    const risk_pnl_t  pnl = {.day = day, .realised = 0, .equity = equity};
    risk_loss_event_t event;
    risk_loss(g->risk, 1, &pnl, AT(t), &event);
    return event;
}

static void loss_limits(glue_t *g)
{
    risk_limits_t l;
    risk_limits_default(SCOPE_ACCOUNT, &l);
    l.max_day_loss = l.max_realised_loss = l.max_drawdown = 1000;
    assert_int_equal(risk_limits_set(g->risk, SCOPE_ACCOUNT, 1, 0, &l), ERR_OK);
}

static void test_loss_levels(void **state)
{
    (void)state;
    glue_t            g;
    risk_loss_event_t event;
    const risk_pnl_t  pnl = {0};
    open_gate(&g);
    assert_int_equal(judged(&g, -5000, 0, 1).level, RISK_LOSS_NONE); /* no limits */
    risk_loss(g.risk, 0, &pnl, AT(1), &event);
    assert_int_equal(event.level, RISK_LOSS_NONE);
    risk_loss(g.risk, GLUE_ACCOUNTS + 1, &pnl, AT(1), &event);
    assert_int_equal(event.level, RISK_LOSS_NONE);
    loss_limits(&g);
    assert_int_equal(judged(&g, -799, 0, S(1)).level, RISK_LOSS_NONE);
    event = judged(&g, -800, 0, S(1));
    assert_int_equal(event.level, RISK_LOSS_WARN);
    assert_int_equal(event.code, RISK_DAY_LOSS);
    assert_int_equal(judged(&g, -999, 0, S(2) - 1).level, RISK_LOSS_NONE); /* at most once a second */
    assert_int_equal(judged(&g, -999, 0, S(2)).level, RISK_LOSS_WARN);
    event = judged(&g, -1000, 0, S(3));
    assert_int_equal(event.level, RISK_LOSS_STOP);
    assert_int_equal(event.observed, 1000);
    assert_int_equal(judged(&g, -900, 0, S(9)).level,
                     RISK_LOSS_NONE); /* latched: a recovery lifts nothing, and is no news */
    assert_int_equal(risk_account(g.risk, 1)->latched, RISK_DAY_LOSS);
    assert_int_equal(judged(&g, -1000, 0, S(63)).level, RISK_LOSS_NONE); /* 60 s, but no more lost than then */
    assert_int_equal(judged(&g, -1001, 0, S(63) - 1).level, RISK_LOSS_NONE);
    assert_int_equal(judged(&g, -1001, 0, S(63)).level, RISK_LOSS_KILL);
    assert_int_equal(risk_account(g.risk, 1)->killed, 1);
    glue_control(&g, CONTROL_CLEAR_LATCH, SCOPE_ACCOUNT, 1, 1);
    assert_int_equal(risk_account(g.risk, 1)->latched, 0);
    glue_close(&g);
    open_gate(&g);
    loss_limits(&g);
    event = judged(&g, INT64_MIN, 0, S(1)); /* 120 % at once: stop and kill, told as the kill */
    assert_int_equal(event.level, RISK_LOSS_KILL);
    assert_int_equal(event.observed, INT64_MAX);
    assert_int_equal(risk_account(g.risk, 1)->latched, RISK_DAY_LOSS);
    glue_close(&g);
}

/* Drawdown begins with the trading day, which is that of a clock east of UTC. */
static void test_loss_day(void **state)
{
    (void)state;
    glue_t g;
    open_gate(&g);
    loss_limits(&g);
    g.risk->cfg.day_offset_ns = S(9 * 3600);
    assert_int_equal(judged(&g, 0, 5000, S(14 * 3600)).level, RISK_LOSS_NONE);
    assert_int_equal(judged(&g, 0, 4001, S(15 * 3600) - 1).level, RISK_LOSS_WARN);
    assert_int_equal(judged(&g, 0, 4000, S(15 * 3600)).level, RISK_LOSS_NONE); /* midnight there */
    assert_int_equal(judged(&g, 0, 3000, S(15 * 3600)).code, RISK_DRAWDOWN);
    glue_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setup_cfg),     cmocka_unit_test(test_setup_refuses),
        cmocka_unit_test(test_setup_tenants), cmocka_unit_test(test_control_refuses),
        cmocka_unit_test(test_reading),       cmocka_unit_test(test_exposure_ends),
        cmocka_unit_test(test_holders_many),  cmocka_unit_test(test_loss_levels),
        cmocka_unit_test(test_loss_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
