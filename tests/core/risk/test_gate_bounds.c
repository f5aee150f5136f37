/* Bounds of the gate that only one value can tell from the one beside it: what is used up to the last unit passes, one unit
 * more does not, and a bound of nothing allows nothing. */
#include "tests/lib/gate_world.h"

/* 203: a quantity that is the share to the last unit, of the day and of what is to be seen. */
static void test_participation_to_the_last_unit(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    risk_volume(f.g.risk, 1, 1000); /* 1 % of it */
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 10);
    GIVES(&f, RISK_MAX_PARTICIPATION, RISK_MODE_ORDER, q, q.qty = 11);
    f.market.depth_bp = 2500;
    limits_apply(&f);
    f.g.md[1].ask_depth = 36;
    f.g.md[1].bid_depth = 20;
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 9);
    GIVES(&f, RISK_MAX_PARTICIPATION, RISK_MODE_ORDER, q, q.qty = 10);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = 5));
    GIVES(&f, RISK_MAX_PARTICIPATION, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = 6));
    f.g.md[1].ask_depth = 0; /* nothing seen is nothing allowed */
    GIVES(&f, RISK_MAX_PARTICIPATION, RISK_MODE_ORDER, q, q.qty = 1);
    glue_close(&f.g);
}

/* 277 with a bound of nothing: no order at all, also when none is in the window. */
static void test_no_duplicates_at_all_is_no_order_at_all(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.account.dup_n = 0;
    limits_apply(&f);
    GIVES(&f, RISK_DUPLICATE_ORDER, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 1, 0);
    f.account.dup_n = 1;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    glue_close(&f.g);
}

/* 277: one that is as old as the window is long has left it, while a younger one is still in it. */
static void test_duplicates_leave_one_by_one(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.account.dup_n = 2;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    later(&f, 10);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    later(&f, f.account.dup_w_ns - 11);
    GIVES(&f, RISK_DUPLICATE_ORDER, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 3, 2);
    later(&f, 1);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, RISK_DUPLICATE_ORDER, RISK_MODE_ORDER, q, (void)q); /* the second one and the last */
    glue_close(&f.g);
}

/* 114: from the oldest to the one furthest ahead, and what no difference can say. */
static void test_ages_of_requests(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    risk_cfg_t cfg;
    risk_cfg_default(&cfg);
    const int64_t old = cfg.max_request_age_ns, ahead = cfg.max_ahead_ns;
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.created_mono_ns = f.now.mono_ns - old);
    GIVES(&f, RISK_REQUEST_TOO_OLD, RISK_MODE_ORDER, q, q.created_mono_ns = f.now.mono_ns - old - 1);
    assert_scope(&f, SCOPE_GLOBAL, 0, old + 1, old);
    GIVES(&f, 0, RISK_MODE_RELEASE, q, q.created_mono_ns = f.now.mono_ns - old - 1);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.created_mono_ns = f.now.mono_ns + ahead);
    GIVES(&f, RISK_REQUEST_TOO_OLD, RISK_MODE_ORDER, q, q.created_mono_ns = f.now.mono_ns + ahead + 1);
    assert_scope(&f, SCOPE_GLOBAL, 0, -ahead - 1, -ahead);
    GIVES(&f, RISK_REQUEST_TOO_OLD, RISK_MODE_ORDER, q, q.created_mono_ns = INT64_MIN);
    assert_scope(&f, SCOPE_GLOBAL, 0, INT64_MAX, old);
    glue_close(&f.g);
}

/* 161: a last trade at 0 is no reference where prices are above 0, and the one at 1 is. */
static void test_a_last_price_of_nothing_is_no_reference(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.g.md[1].has_bid      = 0;
    f.g.md[1].has_last     = 1;
    f.g.md[1].last_px      = 0;
    f.g.md[1].last_mono_ns = f.now.mono_ns;
    GIVES(&f, RISK_NO_REFERENCE_PRICE, RISK_MODE_ORDER, q, q.px = 1);
    f.g.md[1].last_px = 1;
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.px = 1);
    glue_close(&f.g);
}

/* 163: a bid at 0 is no bid where prices are above 0, one at 1 is; 162: of two that are too old the younger one is told. */
static void test_a_bid_of_nothing_and_the_younger_of_two(void **state)
{
    (void)state;
    for (int negative = 0; negative < 2; negative++) {
        fix_t            f;
        instrument_def_t def = glue_def(1);
        def.allow_negative   = (uint8_t)negative;
        fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
        f.market.max_spread_bp = 100 * 10000;
        f.market.far_bp        = 100 * 10000;
        limits_apply(&f);
        f.g.md[1].bid_px = 0;
        f.g.md[1].ask_px = 2;
        GIVES(&f, negative ? 0 : RISK_BOOK_INVALID, RISK_MODE_ORDER, q, q.px = 1);
        f.g.md[1].bid_px = 1;
        GIVES(&f, 0, RISK_MODE_ORDER, q, q.px = 1);
        const int64_t age      = f.market.max_md_age_ns;
        f.g.md[1].has_last     = 1;
        f.g.md[1].last_px      = 1;
        f.g.md[1].book_mono_ns = f.now.mono_ns - age - 1;
        f.g.md[1].last_mono_ns = f.now.mono_ns - age - 7;
        GIVES(&f, RISK_STALE_MARKET_DATA, RISK_MODE_ORDER, q, q.px = 1);
        assert_scope(&f, SCOPE_INSTRUMENT, 1, age + 1, age);
        f.g.md[1].book_mono_ns = f.now.mono_ns - age - 9;
        GIVES(&f, RISK_STALE_MARKET_DATA, RISK_MODE_ORDER, q, q.px = 1);
        assert_scope(&f, SCOPE_INSTRUMENT, 1, age + 7, age);
        glue_close(&f.g);
    }
}

/* 229: each scope's bound alone, without another one: used up to the last unit, and one more. */
static void test_credit_of_each_scope_alone(void **state)
{
    (void)state;
    static const scope_t scopes[] = {SCOPE_ACCOUNT, SCOPE_TENANT, SCOPE_GLOBAL};
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        fix_t          f;
        const uint32_t id = scopes[i] == SCOPE_GLOBAL ? 0 : 1;
        fix_open(&f);
        risk_limits_t limits;
        if (scopes[i] == SCOPE_ACCOUNT) {
            limits = f.account;
        } else {
            risk_limits_default(scopes[i], &limits);
        }
        limits.max_credit = 100000; /* of 10 at 10000, margin 100 % */
        assert_int_equal(risk_limits_set(f.g.risk, scopes[i], id, 0, &limits), ERR_OK);
        GIVES(&f, RISK_CREDIT, RISK_MODE_ORDER, q, q.qty = 11);
        assert_scope(&f, scopes[i], id, 110000, 100000);
        GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
        glue_close(&f.g);
    }
}

/* 185: a price of the very moment at which time is as old as the window is a price to begin with. */
static void test_the_first_price_that_volatility_knows(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.market.vol_w_ns = f.now.mono_ns;
    limits_apply(&f);
    const risk_md_t md = f.g.md[1];
    glue_book(&f.g, 1, &md, f.now);
    later(&f, f.market.vol_w_ns + 2 * (f.market.vol_w_ns / RISK_VOL_SLICES) + 1);
    risk_md_t up = f.g.md[1];
    up.bid_px    = 10600;
    up.ask_px    = 10610;
    glue_book(&f.g, 1, &up, f.now);
    GIVES(&f, RISK_VOLATILITY_PAUSE, RISK_MODE_ORDER, q, q.px = 10600);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, f.now.mono_ns, f.now.mono_ns + f.market.vol_pause_ns);
    glue_close(&f.g);
}

/* 275: with the day the last strategy's orders of the last instrument are forgotten, too. */
static void test_a_day_ends_for_the_last_strategy_and_instrument(void **state)
{
    (void)state;
    fix_t      f;
    risk_cfg_t cfg;
    risk_cfg_default(&cfg);
    const uint32_t         last = cfg.strategies_max, id = GLUE_INSTRUMENTS;
    const instrument_def_t def = glue_def(id);
    fix_open(&f);
    risk_t *r = f.g.risk;
    glue_instrument(&f.g, &def, 1);
    assert_int_equal(risk_strategy_open(r, last, 1, 1), ERR_OK);
    f.strategy.otr_max   = 1;
    f.strategy.otr_start = 0;
    assert_int_equal(risk_limits_set(r, SCOPE_STRATEGY, last, 0, &f.strategy), ERR_OK);
    assert_int_equal(risk_limits_set(r, SCOPE_INSTRUMENT, id, 0, &f.market), ERR_OK);
    assert_int_equal(risk_limits_set(r, SCOPE_ACCOUNT_INSTRUMENT, 1, id, &f.row), ERR_OK);
    assert_int_equal(risk_limits_set(r, SCOPE_STRATEGY_INSTRUMENT, last, id, &f.strategy_row), ERR_OK);
    for (int i = 0; i < 4; i++) {
        order_req_t q      = request(&f, SIDE_BUY, 10, PX);
        q.strategy_id      = last;
        q.instrument_id    = id;
        const risk_in_t in = {
            .req = &q, .ins = &f.g.ins[id], .md = &f.g.md[1], .orders = f.g.orders, .now = f.now, .order_seq = f.seq};
        risk_check(r, &in, &f.out);
        assert_int_equal(f.out.verdict.code, i % 2 ? RISK_ORDER_TO_TRADE : 0);
        if (i == 1) {
            risk_day(r);
        }
    }
    glue_close(&f.g);
}

/* Nothing used of a limit of nothing is not told as a limit that fills up. */
static void test_nothing_of_nothing_is_not_told(void **state)
{
    (void)state;
    fix_t            f;
    instrument_def_t def = glue_def(1);
    def.allow_negative   = 1;
    fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
    f.market.max_spread_bp = 100 * 10000;
    f.account.max_value = f.account.max_gross = f.account.max_net = f.account.max_open_value = 0;
    f.account.value_w_max                                                                    = 0;
    f.market.max_value                                                                       = 0;
    limits_apply(&f);
    f.g.md[1].has_bid      = 0;
    f.g.md[1].has_last     = 1;
    f.g.md[1].last_px      = 0;
    f.g.md[1].last_mono_ns = f.now.mono_ns;
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.px = 0); /* 10 at 0 is worth nothing */
    assert_int_equal(f.out.soft_count, 0);
    glue_close(&f.g);
}

/* Kills and states of the scopes with the largest number, and of none. */
static void test_the_last_of_each_scope(void **state)
{
    (void)state;
    fix_t              f;
    risk_venue_state_t venue;
    fix_open(&f);
    risk_cfg_t cfg;
    risk_cfg_default(&cfg);
    const uint32_t strategies = cfg.strategies_max, venues = cfg.venues_max;
    assert_false(risk_strategy_killed(f.g.risk, strategies));
    control(&f, CONTROL_KILL, SCOPE_STRATEGY, strategies, 1);
    assert_true(risk_strategy_killed(f.g.risk, strategies));
    assert_false(risk_strategy_killed(f.g.risk, 0));
    assert_false(risk_strategy_killed(f.g.risk, strategies + 1));
    assert_true(risk_venue_state(f.g.risk, venues, &venue));
    assert_false(risk_venue_state(f.g.risk, venues + 1, &venue));
    assert_false(risk_venue_state(f.g.risk, 0, &venue));
    glue_close(&f.g);
}

/* A plain order, for which nothing else stands near its limit: on each bound of price and size it passes, one beyond it
 * is denied. This is what the shortest way through the gate decides by itself. */
static void test_plain_orders_at_their_bounds(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f); /* ref 10,000; collar 3 %, far side 50 % */
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.px = 10300);
    GIVES(&f, RISK_COLLAR_BUY, RISK_MODE_ORDER, q, q.px = 10301);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.px = 5000);
    GIVES(&f, RISK_FAR_FROM_MARKET, RISK_MODE_ORDER, q, q.px = 4999);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 9700));
    GIVES(&f, RISK_COLLAR_SELL, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 9699));
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 15000));
    GIVES(&f, RISK_FAR_FROM_MARKET, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 15001));
    f.market.max_qty = 20;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 20);
    GIVES(&f, RISK_MAX_ORDER_QTY, RISK_MODE_ORDER, q, q.qty = 21);
    f.row.max_qty = 15;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 15);
    GIVES(&f, RISK_MAX_ORDER_QTY, RISK_MODE_ORDER, q, q.qty = 16);
    f.market.max_value = 12 * PX;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 12);
    GIVES(&f, RISK_MAX_ORDER_VALUE, RISK_MODE_ORDER, q, (q.qty = 12, q.px = PX + 1));
    f.account.max_value = 11 * PX;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 11);
    GIVES(&f, RISK_MAX_ORDER_VALUE, RISK_MODE_ORDER, q, (q.qty = 11, q.px = PX + 1));
    glue_close(&f.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_orders_at_their_bounds),
        cmocka_unit_test(test_participation_to_the_last_unit),
        cmocka_unit_test(test_no_duplicates_at_all_is_no_order_at_all),
        cmocka_unit_test(test_duplicates_leave_one_by_one),
        cmocka_unit_test(test_ages_of_requests),
        cmocka_unit_test(test_a_last_price_of_nothing_is_no_reference),
        cmocka_unit_test(test_a_bid_of_nothing_and_the_younger_of_two),
        cmocka_unit_test(test_credit_of_each_scope_alone),
        cmocka_unit_test(test_the_first_price_that_volatility_knows),
        cmocka_unit_test(test_a_day_ends_for_the_last_strategy_and_instrument),
        cmocka_unit_test(test_nothing_of_nothing_is_not_told),
        cmocka_unit_test(test_the_last_of_each_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
