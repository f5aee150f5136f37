/* The gate, what test_risk.c leaves out: why it is asked (order, hold, release, flatten), first verdicts, kills of pairs,
 * auctions, the previous close, the volatility pause, participation, credit and funds, turnover, order-to-trade, a venue's
 * budget, other currencies, modes of self-trade prevention, hedging accounts. Each on its bound, and one beyond. */
#include "tests/lib/gate_world.h"

/* ---- A, B -------------------------------------------------------------------------------------------------------- */

static void test_gate_first_verdict(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    order_req_t first = request(&f, SIDE_BUY, 10, PX);
    assert_int_equal(ask(&f, &first), 0);
    order_req_t second = request(&f, SIDE_BUY, 0, PX);
    assert_int_equal(check(&f, &second, RISK_MODE_ORDER), RISK_QTY_NOT_POSITIVE);
    second.qty = 10;
    assert_int_equal(check(&f, &second, RISK_MODE_ORDER), RISK_DUPLICATE_CLIENT_ORDER_ID);
    assert_scope(&f, SCOPE_ACCOUNT, 1, RISK_QTY_NOT_POSITIVE, 2);
    assert_int_equal(check(&f, &second, RISK_MODE_ORDER), RISK_DUPLICATE_CLIENT_ORDER_ID); /* still the first one */
    assert_scope(&f, SCOPE_ACCOUNT, 1, RISK_QTY_NOT_POSITIVE, 2);
    assert_int_equal(check(&f, &first, RISK_MODE_ORDER), RISK_DUPLICATE_CLIENT_ORDER_ID);
    assert_scope(&f, SCOPE_ACCOUNT, 1, RISK_ACCEPTED, 0);
    for (int i = 0; i < 4; i++) { /* four are remembered */
        assert_int_equal(ask_new(&f, SIDE_BUY, 10, PX), 0);
    }
    assert_int_equal(check(&f, &second, RISK_MODE_ORDER), RISK_DUPLICATE_CLIENT_ORDER_ID);
    assert_scope(&f, SCOPE_ACCOUNT, 1, -1, -1);
    glue_close(&f.g);
}

static void test_gate_words_by_mode(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    for (uint8_t type = 0; type <= ORD_TYPE_COUNT; type++) {
        const bool sent = type == ORD_TYPE_MARKET || type == ORD_TYPE_LIMIT || type == ORD_TYPE_MARKET_TO_LIMIT;
        const bool held = type >= ORD_TYPE_MARKET && type < ORD_TYPE_COUNT;
        GIVES(&f, sent ? 0 : RISK_BAD_SIDE_TYPE_OR_TIF, RISK_MODE_ORDER, q, q.ord_type = type);
        GIVES(&f, held ? 0 : RISK_BAD_SIDE_TYPE_OR_TIF, RISK_MODE_HOLD, q, q.ord_type = type);
    }
    GIVES(&f, RISK_BAD_SIDE_TYPE_OR_TIF, RISK_MODE_ORDER, q, q.tif = TIF_GTD); /* its end is not said */
    GIVES(&f, RISK_BAD_SIDE_TYPE_OR_TIF, RISK_MODE_ORDER, q, q.tif = TIF_NONE);
    GIVES(&f, RISK_BAD_SIDE_TYPE_OR_TIF, RISK_MODE_ORDER, q, q.side = 3);
    GIVES(&f, 0, RISK_MODE_HOLD, q, q.tif = TIF_GTD);
    GIVES(&f, 0, RISK_MODE_RELEASE, q, q.tif = TIF_GTD);
    GIVES(&f, RISK_BAD_SIDE_TYPE_OR_TIF, RISK_MODE_HOLD, q, q.tif = TIF_COUNT);
    GIVES(&f, RISK_BAD_SIDE_TYPE_OR_TIF, RISK_MODE_HOLD, q, q.tif = 99);
    GIVES(&f, 0, RISK_MODE_HOLD, q, (q.exec_inst = EXEC_INST_POST_ONLY, q.ord_type = ORD_TYPE_STOP_LIMIT));
    GIVES(&f, RISK_BAD_SIDE_TYPE_OR_TIF, RISK_MODE_HOLD, q,
          (q.exec_inst = EXEC_INST_POST_ONLY, q.ord_type = ORD_TYPE_STOP));
    GIVES(&f, RISK_BAD_SIDE_TYPE_OR_TIF, RISK_MODE_ORDER, q, (q.exec_inst = EXEC_INST_POST_ONLY, q.tif = TIF_FOK));
    f.rights.ord_types = 1U << ORD_TYPE_LIMIT;
    rights_apply(&f);
    GIVES(&f, RISK_ORDER_TYPE_NOT_PERMITTED, RISK_MODE_HOLD, q, q.ord_type = ORD_TYPE_LIMIT_IF_TOUCHED);
    glue_close(&f.g);
}

/* ---- C ----------------------------------------------------------------------------------------------------------- */

static void test_gate_kills_of_pairs(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    static const struct {
        scope_t  scope;
        int64_t  id2;
        uint16_t code;
    } pairs[] = {{SCOPE_ACCOUNT_INSTRUMENT, 1, RISK_KILL_ACCOUNT},
                 {SCOPE_STRATEGY_INSTRUMENT, 1, RISK_KILL_STRATEGY},
                 {SCOPE_ACCOUNT_VENUE, GLUE_VENUE, RISK_KILL_VENUE}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        control(&f, CONTROL_KILL, pairs[i].scope, 1, pairs[i].id2);
        GIVES(&f, pairs[i].code, RISK_MODE_ORDER, q, (void)q);
        assert_scope(&f, pairs[i].scope, 1, 1, 0);
        GIVES(&f, 0, RISK_MODE_FLATTEN, q, (void)q);
        control(&f, CONTROL_KILL, pairs[i].scope, 1, -pairs[i].id2);
        GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    }
    glue_close(&f.g);
}

static void test_gate_flatten_skips_kills_and_nothing_else(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    control(&f, CONTROL_KILL, SCOPE_GLOBAL, 0, 1);
    GIVES(&f, RISK_KILL_GLOBAL, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, RISK_KILL_GLOBAL, RISK_MODE_HOLD, q, (void)q);
    GIVES(&f, RISK_KILL_GLOBAL, RISK_MODE_RELEASE, q, (void)q);
    GIVES(&f, 0, RISK_MODE_FLATTEN, q, (void)q);
    GIVES(&f, RISK_REDUCE_ONLY, RISK_MODE_FLATTEN, q, q.exec_inst = EXEC_INST_REDUCE_ONLY);
    GIVES(&f, RISK_COLLAR_BUY, RISK_MODE_FLATTEN, q, q.px = 10301);
    control(&f, CONTROL_VENUE_LINK, SCOPE_VENUE, GLUE_VENUE, 0);
    GIVES(&f, RISK_VENUE_DOWN, RISK_MODE_FLATTEN, q, (void)q);
    glue_close(&f.g);
}

static void test_gate_auctions(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    GIVES(&f, RISK_TYPE_NOT_IN_PHASE, RISK_MODE_ORDER, q, q.tif = TIF_OPG);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.tif = TIF_ATC);
    control(&f, CONTROL_SESSION, SCOPE_VENUE, GLUE_VENUE, SESSION_PRE_OPEN);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.tif = TIF_OPG);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.tif = TIF_ATC);
    GIVES(&f, RISK_TYPE_NOT_IN_PHASE, RISK_MODE_ORDER, q, (void)q);
    control(&f, CONTROL_SESSION, SCOPE_VENUE, GLUE_VENUE, SESSION_CLOSED);
    GIVES(&f, RISK_SESSION_CLOSED, RISK_MODE_ORDER, q, q.tif = TIF_OPG);
    GIVES(&f, 0, RISK_MODE_HOLD, q, q.tif = TIF_OPG);
    GIVES(&f, RISK_SESSION_CLOSED, RISK_MODE_HOLD, q, (void)q);
    glue_close(&f.g);
}

/* Held: no reservation, no market data, no collar; counted in 271; the release counts no second time. */
static void test_gate_hold_and_release(void **state)
{
    (void)state;
    fix_t           f;
    risk_exposure_t e;
    fix_open(&f);
    f.account.rate_n   = 3;
    f.market.max_qty   = 100;
    f.market.max_value = 1000000;
    limits_apply(&f);
    GIVES(&f, RISK_MAX_ORDER_QTY, RISK_MODE_HOLD, q, q.qty = 101);
    GIVES(&f, RISK_MAX_ORDER_VALUE, RISK_MODE_HOLD, q, (q.qty = 100, q.px = 10001));
    GIVES(&f, RISK_PRICE_NOT_POSITIVE, RISK_MODE_HOLD, q, (q.ord_type = ORD_TYPE_STOP_LIMIT, q.px = 0));
    order_req_t stop       = request(&f, SIDE_BUY, 100, 0);
    stop.ord_type          = ORD_TYPE_STOP;
    f.g.md[1].book_mono_ns = 0;
    assert_int_equal(check(&f, &stop, RISK_MODE_HOLD), 0);
    GIVES(&f, 0, RISK_MODE_HOLD, q, q.px = 9000000 / 1000);
    assert_true(risk_exposure(f.g.risk, 1, 1, &e));
    assert_int_equal(e.buy_open, 0);
    assert_int_equal(e.open_orders, 0);
    book(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, RISK_RATE_ORDERS, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, RISK_RATE_ORDERS, RISK_MODE_HOLD, q, (void)q);
    GIVES(&f, RISK_RATE_ORDERS, RISK_MODE_RELEASE, q, (void)q); /* a slice: it counts */
    f.now.mono_ns += NS_PER_S / 2;
    book(&f);
    stop.ord_type = ORD_TYPE_MARKET;
    assert_int_equal(check(&f, &stop, RISK_MODE_ORDER), RISK_DUPLICATE_CLIENT_ORDER_ID);
    stop.created_mono_ns -= 3600 * NS_PER_S;
    assert_int_equal(check(&f, &stop, RISK_MODE_RELEASE), RISK_MAX_ORDER_VALUE); /* at the collar */
    stop.qty = 90;
    assert_int_equal(check(&f, &stop, RISK_MODE_RELEASE), 0);
    assert_int_equal(f.out.px, 10300);
    assert_true(risk_exposure(f.g.risk, 1, 1, &e));
    assert_int_equal(e.buy_open, 100);
    later(&f, NS_PER_S / 2);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q); /* the release is not in the window */
    GIVES(&f, RISK_RATE_ORDERS, RISK_MODE_ORDER, q, (void)q);
    glue_close(&f.g);
}

/* A list's orders guard one position together: what is held is judged without what rests. */
static void test_gate_hold_reduces(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.rights.may_short = 0;
    rights_apply(&f);
    GIVES(&f, 0, RISK_MODE_HOLD, q, q.side = SIDE_SELL); /* the order before it may have bought by then */
    GIVES(&f, RISK_SHORT_NOT_PERMITTED, RISK_MODE_RELEASE, q, q.side = SIDE_SELL);
    glue_position(&f.g, 1, 1, 10, 10000);
    assert_int_equal(ask_new(&f, SIDE_SELL, 10, 10100), 0);
    control(&f, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, 1);
    GIVES(&f, 0, RISK_MODE_HOLD, q, (q.side = SIDE_SELL, q.ord_type = ORD_TYPE_STOP));
    GIVES(&f, RISK_REDUCE_ONLY, RISK_MODE_HOLD, q, (q.side = SIDE_SELL, q.qty = 11));
    GIVES(&f, RISK_REDUCE_ONLY, RISK_MODE_HOLD, q, (void)q);
    control(&f, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, 0);
    GIVES(&f, 0, RISK_MODE_HOLD, q, q.exec_inst = EXEC_INST_REDUCE_ONLY); /* judged when it leaves */
    glue_position(&f.g, 1, 1, -20, 10000);
    control(&f, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, 1);
    GIVES(&f, 0, RISK_MODE_HOLD, q, (void)q);
    GIVES(&f, RISK_REDUCE_ONLY, RISK_MODE_HOLD, q, q.qty = 11);
    glue_close(&f.g);
}

static void test_gate_hedging_closes_its_bucket(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.rights.hedging   = 1;
    f.rights.may_short = 0;
    rights_apply(&f);
    order_req_t open     = request(&f, SIDE_BUY, 10, 10010);
    open.position_effect = POSITION_EFFECT_OPEN;
    assert_int_equal(ask(&f, &open), 0);
    order_effect_t      effect;
    const exec_report_t fill = {.cl_ord_id     = open.cl_ord_id,
                                .exec_id_lo    = 1,
                                .account_id    = 1,
                                .instrument_id = 1,
                                .exec_type     = EXEC_TYPE_TRADE,
                                .side          = SIDE_BUY,
                                .last_qty      = 10,
                                .last_px       = 10010,
                                .cum_qty       = -1};
    glue_report(&f.g, &fill, f.now, &effect);
    GIVES(&f, RISK_SHORT_NOT_PERMITTED, RISK_MODE_ORDER, q,
          (q.side = SIDE_SELL, q.px = 10100, q.position_effect = POSITION_EFFECT_OPEN));
    GIVES(&f, RISK_REDUCE_ONLY, RISK_MODE_ORDER, q,
          (q.side = SIDE_SELL, q.px = 10100, q.qty = 11, q.position_effect = POSITION_EFFECT_CLOSE));
    order_req_t shut     = request(&f, SIDE_SELL, 6, 10100);
    shut.position_effect = POSITION_EFFECT_CLOSE;
    assert_int_equal(ask(&f, &shut), 0);
    GIVES(&f, RISK_REDUCE_ONLY, RISK_MODE_ORDER, q,
          (q.side = SIDE_SELL, q.px = 10100, q.qty = 5, q.position_effect = POSITION_EFFECT_CLOSE));
    GIVES(&f, 0, RISK_MODE_HOLD, q,
          (q.side = SIDE_SELL, q.px = 10100, q.qty = 10, q.position_effect = POSITION_EFFECT_CLOSE));
    GIVES(&f, RISK_REDUCE_ONLY, RISK_MODE_ORDER, q, q.position_effect = POSITION_EFFECT_CLOSE); /* nothing short */
    GIVES(&f, 0, RISK_MODE_ORDER, q,
          (q.side = SIDE_SELL, q.px = 10100, q.qty = 4, q.position_effect = POSITION_EFFECT_CLOSE));
    glue_close(&f.g);
}

/* ---- D, E, F ----------------------------------------------------------------------------------------------------- */

static void test_gate_previous_close(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.g.md[1] = (risk_md_t){.prev_close = 10000, .has_prev_close = 1};
    GIVES(&f, RISK_NO_REFERENCE_PRICE, RISK_MODE_ORDER, q, (void)q);
    f.market.use_prev_close = 1;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.px = 10300);
    GIVES(&f, RISK_COLLAR_BUY, RISK_MODE_ORDER, q, q.px = 10301);
    GIVES(&f, RISK_NO_REFERENCE_PRICE, RISK_MODE_ORDER, q, q.ord_type = ORD_TYPE_MARKET);
    f.g.md[1].prev_close = 0;
    GIVES(&f, RISK_NO_REFERENCE_PRICE, RISK_MODE_ORDER, q, (void)q);
    f.g.md[1].prev_close = 10000;
    f.g.md[1].last_px    = 10100;
    f.g.md[1].has_last   = 1; /* old: the close stands */
    GIVES(&f, RISK_COLLAR_BUY, RISK_MODE_ORDER, q, q.px = 10301);
    f.g.md[1].last_mono_ns = f.now.mono_ns;
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.px = 10301);
    glue_close(&f.g);
}

static void test_gate_market_orders_keep_to_the_band(void **state)
{
    (void)state;
    fix_t            f;
    instrument_def_t def = glue_def(1);
    def.band_lower       = 9950;
    def.band_upper       = 10050;
    fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.ord_type = ORD_TYPE_MARKET);
    assert_int_equal(f.out.px, 10050);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.ord_type = ORD_TYPE_MARKET_TO_LIMIT, q.side = SIDE_SELL));
    assert_int_equal(f.out.px, 9950);
    GIVES(&f, RISK_STATIC_BAND, RISK_MODE_ORDER, q, q.px = 9949);
    glue_close(&f.g);
}

static void test_gate_volatility_pause(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    for (int64_t i = 0; i <= 70; i++) { /* a minute at 10000 */
        later(&f, NS_PER_S);
        risk_mark(f.g.risk, &f.g.ins[1], &f.g.md[1], f.now);
    }
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    later(&f, NS_PER_S);
    f.g.md[1].bid_px += 501;
    f.g.md[1].ask_px += 501;
    risk_mark(f.g.risk, &f.g.ins[1], &f.g.md[1], f.now);
    const now_t then = f.now;
    GIVES(&f, RISK_VOLATILITY_PAUSE, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, f.now.mono_ns, f.now.mono_ns + 30 * NS_PER_S);
    later(&f, 30 * NS_PER_S - 1);
    GIVES(&f, RISK_VOLATILITY_PAUSE, RISK_MODE_ORDER, q, (void)q);
    later(&f, 1);
    assert_int_equal(f.now.mono_ns, then.mono_ns + 30 * NS_PER_S);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    glue_close(&f.g);
}

static void test_gate_participation(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    risk_volume(f.g.risk, 1, 1099); /* 1 %: 10.99 */
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, RISK_MAX_PARTICIPATION, RISK_MODE_ORDER, q, q.qty = 11);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 11, 10);
    GIVES(&f, 0, RISK_MODE_HOLD, q, q.qty = 11);
    f.market.adv_bp   = RISK_OFF;
    f.market.depth_bp = 5000;
    limits_apply(&f);
    f.g.md[1].ask_depth = 41;
    f.g.md[1].bid_depth = 3;
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 20);
    GIVES(&f, RISK_MAX_PARTICIPATION, RISK_MODE_ORDER, q, q.qty = 21);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 21, 20);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = 1));
    GIVES(&f, RISK_MAX_PARTICIPATION, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = 2));
    glue_close(&f.g);
}

/* ---- G, H -------------------------------------------------------------------------------------------------------- */

static void test_gate_venue_budget(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    venue_budget_t budget = {.venue_id = GLUE_VENUE, .used = 78, .limit = 100, .w_ns = NS_PER_S};
    assert_int_equal(risk_budget(f.g.risk, &budget, f.now), ERR_OK);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, RISK_VENUE_BUDGET, RISK_MODE_ORDER, q, (void)q); /* the last fifth is for cancels */
    assert_scope(&f, SCOPE_VENUE, GLUE_VENUE, 81, 80);
    later(&f, NS_PER_S);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    budget = (venue_budget_t){.venue_id = GLUE_VENUE, .hold_until_utc_ns = f.now.utc_ns + 10};
    assert_int_equal(risk_budget(f.g.risk, &budget, f.now), ERR_OK);
    later(&f, 9);
    GIVES(&f, RISK_VENUE_BUDGET, RISK_MODE_ORDER, q, (void)q);
    later(&f, 1);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    glue_close(&f.g);
}

static void test_gate_order_to_trade(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.strategy.otr_start = 2;
    f.strategy.otr_max   = 3;
    limits_apply(&f);
    for (int i = 0; i < 3; i++) { /* without a trade: 3 orders at most, however the start allows two */
        GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    }
    GIVES(&f, RISK_ORDER_TO_TRADE, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_STRATEGY_INSTRUMENT, 1, 4, 3);
    const order_effect_t traded = {
        .account_id = 1, .strategy_id = 1, .instrument_id = 1, .booked = 1, .qty = 9, .px = PX};
    risk_traded(f.g.risk, &traded, f.now);
    GIVES(&f, RISK_ORDER_TO_TRADE, RISK_MODE_ORDER, q, q.qty = 7); /* 37 for 9: by volume */
    assert_scope(&f, SCOPE_STRATEGY_INSTRUMENT, 1, 4, 3);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 6); /* 4 for 1, 36 for 9 */
    GIVES(&f, RISK_ORDER_TO_TRADE, RISK_MODE_ORDER, q, q.qty = 1);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.strategy_id = 0);
    glue_close(&f.g);
}

static void test_gate_self_trade_modes(void **state)
{
    (void)state;
    for (uint32_t mode = RISK_STP_MODE_CANCEL_NEWEST; mode < RISK_STP_MODE_COUNT; mode++) {
        fix_t                  f;
        const instrument_def_t def = glue_def(1);
        fix_open_with(&f, &def, mode);
        f.account.rate_n = 4;
        limits_apply(&f);
        assert_int_equal(ask_new(&f, SIDE_SELL, 5, 10020), 0);
        assert_int_equal(ask_new(&f, SIDE_SELL, 5, 10010), 0);
        assert_int_equal(ask_new(&f, SIDE_SELL, 5, 10030), 0);
        const order_req_t buy = request(&f, SIDE_BUY, 10, 10020);
        assert_int_equal(ask(&f, &buy), RISK_SELF_TRADE);
        assert_scope(&f, SCOPE_TENANT, 1, 10020, 10010);
        assert_int_equal(f.out.stp, mode);
        uint32_t at = risk_crossing(f.g.risk, f.g.orders, &buy, f.out.px, ORDER_NONE);
        assert_int_equal(order_at(f.g.orders, at)->px, 10010);
        at = risk_crossing(f.g.risk, f.g.orders, &buy, f.out.px, at);
        assert_int_equal(order_at(f.g.orders, at)->px, 10020);
        assert_int_equal(risk_crossing(f.g.risk, f.g.orders, &buy, f.out.px, at), ORDER_NONE);
        /* one that waits is held, and so is in the window */
        const bool waits = mode == RISK_STP_MODE_CANCEL_OLDEST || mode == RISK_STP_MODE_DECREMENT;
        assert_int_equal(ask_new(&f, SIDE_BUY, 1, PX), waits ? RISK_RATE_ORDERS : 0);
        if (waits) {
            assert_int_equal(check(&f, &buy, RISK_MODE_RELEASE), RISK_SELF_TRADE);
        }
        glue_close(&f.g);
    }
}

/* ---- I ----------------------------------------------------------------------------------------------------------- */

static void test_gate_tenant_position(void **state)
{
    (void)state;
    fix_t         f;
    risk_limits_t tenant;
    fix_open(&f);
    risk_limits_default(SCOPE_TENANT_INSTRUMENT, &tenant);
    tenant.max_long  = 25;
    tenant.max_short = 5;
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_TENANT_INSTRUMENT, 1, 1, &tenant), ERR_OK);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 10);
    assert_int_equal(f.out.soft_count, 0);
    GIVES(&f, RISK_MAX_LONG, RISK_MODE_ORDER, q, q.qty = 16);
    assert_scope(&f, SCOPE_TENANT_INSTRUMENT, 1, 26, 25);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 15);
    assert_int_equal(f.out.soft_count, 1);
    assert_int_equal(f.out.soft[0].scope_type, SCOPE_TENANT_INSTRUMENT);
    GIVES(&f, RISK_MAX_SHORT, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = 6));
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = 5));
    glue_close(&f.g);
}

static void test_gate_credit(void **state)
{
    (void)state;
    fix_t         f;
    risk_limits_t tenant, firm;
    fix_open(&f);
    risk_limits_default(SCOPE_TENANT, &tenant);
    risk_limits_default(SCOPE_GLOBAL, &firm);
    f.market.margin_bp   = 1001; /* of 10 at 10000: 10,010 */
    f.account.max_credit = 10010;
    limits_apply(&f);
    GIVES(&f, RISK_CREDIT, RISK_MODE_ORDER, q, q.qty = 11);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 11011, 10010);
    tenant.max_credit = 10009;
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_TENANT, 1, 0, &tenant), ERR_OK);
    GIVES(&f, RISK_CREDIT, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_TENANT, 1, 10010, 10009);
    tenant.max_credit = 10010;
    firm.max_credit   = 10009;
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_TENANT, 1, 0, &tenant), ERR_OK);
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_GLOBAL, 0, 0, &firm), ERR_OK);
    GIVES(&f, RISK_CREDIT, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_GLOBAL, 0, 10010, 10009);
    firm.max_credit = 10010;
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_GLOBAL, 0, 0, &firm), ERR_OK);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, RISK_CREDIT, RISK_MODE_ORDER, q, q.qty = 1);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100)); /* raises nothing */
    glue_close(&f.g);
}

static void test_gate_funds_and_turnover(void **state)
{
    (void)state;
    fix_t            f;
    instrument_def_t def = glue_def(1);
    fix_open(&f);
    f.rights.funds = RISK_FUNDS_MARGIN;
    rights_apply(&f);
    risk_equity(f.g.risk, 1, 100000, 0);
    GIVES(&f, RISK_MARGIN, RISK_MODE_ORDER, q, q.qty = 11);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 110000, 100000);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    risk_equity(f.g.risk, 1, 1, 0);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100)); /* raises nothing */
    glue_close(&f.g);
    def.kind = INSTRUMENT_SPOT;
    fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
    f.rights.funds = RISK_FUNDS_CASH;
    rights_apply(&f);
    risk_equity(f.g.risk, 1, 0, 20 * PX);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, RISK_MARGIN, RISK_MODE_ORDER, q, q.qty = 11);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 21 * PX, 20 * PX);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100));
    f.account.max_turnover = 20 * PX + 10 * 10100 + 5 * PX;
    limits_apply(&f);
    risk_equity(f.g.risk, 1, 0, INT64_MAX);
    GIVES(&f, RISK_MAX_TURNOVER, RISK_MODE_ORDER, q, q.qty = 6);
    assert_scope(&f, SCOPE_ACCOUNT, 1, f.account.max_turnover + PX, f.account.max_turnover);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 5);
    glue_close(&f.g);
}

static void test_gate_other_currency(void **state)
{
    (void)state;
    fix_t            f;
    instrument_def_t def = glue_def(1);
    def.settle_ccy       = ccy_pack("EUR");
    fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
    GIVES(&f, RISK_LIMIT_MISSING, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 0, 0);
    assert_int_equal(risk_fx_set(f.g.risk, def.settle_ccy, f.rights.ccy, 15001, 4, f.now), ERR_OK);
    f.account.max_value = 148510; /* 99,000 EUR at 1.5001: 148,509.9, rounded up */
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    f.account.max_value = 148509;
    limits_apply(&f);
    GIVES(&f, RISK_MAX_ORDER_VALUE, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 148510, 148509);
    f.account.max_value      = INT64_MAX;
    f.account.max_open_value = 2 * 148510 - 1; /* a sum is converted as a whole: 297,019.8 */
    limits_apply(&f);
    GIVES(&f, RISK_MAX_OPEN_VALUE, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 297020, 297019);
    f.account.max_open_value = 297020;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    f.account.max_open_value = INT64_MAX;
    limits_apply(&f);
    later(&f, RISK_DAY_NS);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    later(&f, 1);
    GIVES(&f, RISK_STALE_MARKET_DATA, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_ACCOUNT, 1, RISK_DAY_NS + 1, RISK_DAY_NS);
    glue_close(&f.g);
}

/* Open buys and sells that together are more than fits, in a currency whose rate would make it fit again: no less than all. */
static void test_gate_other_currency_beyond_what_fits(void **state)
{
    (void)state;
    fix_t            f;
    const int64_t    qty = 600000000000000;
    instrument_def_t def = glue_def(1);
    def.settle_ccy       = ccy_pack("EUR");
    fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
    assert_int_equal(risk_fx_set(f.g.risk, def.settle_ccy, f.rights.ccy, 1, 3, f.now), ERR_OK);
    f.market.max_qty = f.row.max_qty = INT64_MAX;
    f.row.max_long = f.row.max_short = f.strategy_row.max_long = f.strategy_row.max_short = INT64_MAX;
    f.market.max_value = f.account.max_value = f.account.max_gross = f.account.max_net = INT64_MAX;
    f.account.value_w_max                                                              = INT64_MAX;
    f.account.max_open_value =
        11000000000000000; /* 12,000,000,000,000,000 are asked for; 9,223,... would be 2^63 EUR */
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = qty);
    GIVES(&f, RISK_MAX_OPEN_VALUE, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = qty));
    assert_scope(&f, SCOPE_ACCOUNT, 1, INT64_MAX, f.account.max_open_value);
    glue_close(&f.g);
}

/* 277 of orders without a price of their own: the same again is the same wherever the collar has gone. */
static void test_gate_market_orders_repeat_without_a_price(void **state)
{
    (void)state;
    static const uint8_t types[] = {ORD_TYPE_MARKET, ORD_TYPE_MARKET_TO_LIMIT};
    for (int i = 0; i < 2; i++) {
        fix_t f;
        fix_open(&f);
        f.account.dup_n = 1;
        limits_apply(&f);
        GIVES(&f, 0, RISK_MODE_ORDER, q, q.ord_type = types[i]);
        const int64_t px = f.out.px;
        later(&f, f.account.dup_w_ns - 1);
        f.g.md[1].bid_px += 200;
        f.g.md[1].ask_px += 200;
        GIVES(&f, RISK_DUPLICATE_ORDER, RISK_MODE_ORDER, q, q.ord_type = types[i]);
        assert_scope(&f, SCOPE_ACCOUNT, 1, 2, 1);
        GIVES(&f, 0, RISK_MODE_ORDER, q, (q.ord_type = types[i], q.qty = 11));
        assert_int_not_equal(f.out.px, px);
        later(&f, 1);
        GIVES(&f, 0, RISK_MODE_ORDER, q, q.ord_type = types[i]);
        glue_close(&f.g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_first_verdict),
        cmocka_unit_test(test_gate_words_by_mode),
        cmocka_unit_test(test_gate_kills_of_pairs),
        cmocka_unit_test(test_gate_flatten_skips_kills_and_nothing_else),
        cmocka_unit_test(test_gate_auctions),
        cmocka_unit_test(test_gate_hold_and_release),
        cmocka_unit_test(test_gate_hold_reduces),
        cmocka_unit_test(test_gate_hedging_closes_its_bucket),
        cmocka_unit_test(test_gate_previous_close),
        cmocka_unit_test(test_gate_market_orders_keep_to_the_band),
        cmocka_unit_test(test_gate_volatility_pause),
        cmocka_unit_test(test_gate_participation),
        cmocka_unit_test(test_gate_venue_budget),
        cmocka_unit_test(test_gate_order_to_trade),
        cmocka_unit_test(test_gate_self_trade_modes),
        cmocka_unit_test(test_gate_tenant_position),
        cmocka_unit_test(test_gate_credit),
        cmocka_unit_test(test_gate_funds_and_turnover),
        cmocka_unit_test(test_gate_other_currency),
        cmocka_unit_test(test_gate_other_currency_beyond_what_fits),
        cmocka_unit_test(test_gate_market_orders_repeat_without_a_price),
    };
    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
