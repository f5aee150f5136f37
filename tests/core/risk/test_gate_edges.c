/* The gate where its figures end: names that fit nothing, prices below zero, products and sums beyond 63 bits, windows that
 * are full or empty, rows closed for good. What the other tests of the gate have no reason to come to. */
#include "tests/lib/gate_world.h"

static uint16_t check_of(fix_t *f, const order_req_t *req, risk_mode_t mode, const instrument_t *ins,
                         const risk_md_t *md, const order_t *target)
{
    const risk_in_t in = {.req       = req,
                          .ins       = ins,
                          .md        = md,
                          .target    = target,
                          .orders    = f->g.orders,
                          .now       = f->now,
                          .order_seq = f->seq,
                          .mode      = mode};
    risk_check(f->g.risk, &in, &f->out);
    return f->out.verdict.code;
}

static order_req_t amend(fix_t *f, const order_req_t *of, order_action_t action, int64_t qty, int64_t px)
{
    order_req_t req     = *of;
    req.action          = (uint8_t)action;
    req.orig_cl_ord_id  = of->cl_ord_id;
    req.cl_ord_id       = cl_ord_id_make(1, 1, ++f->seq);
    req.qty             = qty;
    req.px              = px;
    req.created_mono_ns = f->now.mono_ns;
    return req;
}

static void fix_open_negative(fix_t *f)
{
    instrument_def_t def = glue_def(1);
    def.allow_negative   = 1;
    fix_open_with(f, &def, RISK_STP_MODE_CANCEL_NEWEST);
}

static void quote(fix_t *f, int64_t bid_px, int64_t ask_px)
{
    book(f);
    f->g.md[1].bid_px = bid_px;
    f->g.md[1].ask_px = ask_px;
}

static void second_account(fix_t *f)
{
    assert_int_equal(risk_account_open(f->g.risk, 2, &f->rights), ERR_OK);
    assert_int_equal(risk_limits_set(f->g.risk, SCOPE_ACCOUNT, 2, 0, &f->account), ERR_OK);
    assert_int_equal(risk_limits_set(f->g.risk, SCOPE_ACCOUNT_INSTRUMENT, 2, 1, &f->row), ERR_OK);
}

/* ---- A: names ---------------------------------------------------------------------------------------------------- */

static void test_an_instrument_must_be_the_one_that_is_named(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    const instrument_t right = f.g.ins[1];
    instrument_t       wrong[6];
    for (int i = 0; i < 6; i++) {
        wrong[i] = right;
    }
    wrong[0].def.instrument_id = 2;
    wrong[1].def.instrument_id = 0;
    wrong[2].def.venue_id      = 0;
    wrong[3].def.venue_id      = UINT16_MAX;
    wrong[4].def.instrument_id = GLUE_INSTRUMENTS + 1;
    const uint32_t named[]     = {1, 0, 1, 1, GLUE_INSTRUMENTS + 1};
    order_req_t    req         = request(&f, SIDE_BUY, 10, PX);
    for (int i = 0; i < 5; i++) {
        req.cl_ord_id     = cl_ord_id_make(1, 1, ++f.seq);
        req.instrument_id = named[i];
        assert_int_equal(check_of(&f, &req, RISK_MODE_ORDER, &wrong[i], &f.g.md[1], NULL), RISK_UNKNOWN_INSTRUMENT);
        assert_scope(&f, SCOPE_INSTRUMENT, named[i], named[i], GLUE_INSTRUMENTS);
    }
    req.cl_ord_id     = cl_ord_id_make(1, 1, ++f.seq);
    req.instrument_id = 1;
    assert_int_equal(check_of(&f, &req, RISK_MODE_ORDER, NULL, &f.g.md[1], NULL), RISK_UNKNOWN_INSTRUMENT);
    req.cl_ord_id = cl_ord_id_make(1, 1, ++f.seq);
    assert_int_equal(check_of(&f, &req, RISK_MODE_ORDER, &right, &f.g.md[1], NULL), 0);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.tif = TIF_DAY, q.qty = 11));
    GIVES(&f, RISK_WRONG_TENANT, RISK_MODE_ORDER, q, q.tenant_id = UINT32_MAX);
    assert_scope(&f, SCOPE_ACCOUNT, 1, UINT32_MAX, 1);
    glue_close(&f.g);
}

static void test_a_replace_is_of_the_order_that_it_names(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    order_req_t first = request(&f, SIDE_BUY, 10, PX);
    assert_int_equal(ask(&f, &first), 0);
    const order_t    *target = order_at(f.g.orders, order_find(f.g.orders, first.cl_ord_id));
    const order_req_t right  = amend(&f, &first, ORDER_ACTION_REPLACE, 9, PX);
    for (int i = 0; i < 6; i++) {
        order_t other = *target;
        other.cl_ord_id += i == 0;
        other.account_id += i == 1;
        other.instrument_id += i == 2;
        other.side = i == 3 ? SIDE_SELL : SIDE_BUY;
        other.strategy_id += i == 4;
        assert_int_equal(check_of(&f, &right, RISK_MODE_ORDER, &f.g.ins[1], &f.g.md[1], i == 5 ? NULL : &other),
                         RISK_UNKNOWN_ORDER);
        assert_scope(&f, SCOPE_ACCOUNT, 1, (int64_t)first.cl_ord_id, 0);
    }
    order_req_t cancel = amend(&f, &first, ORDER_ACTION_CANCEL, 0, 0); /* whose side and strategy do not matter */
    cancel.side        = SIDE_SELL;
    cancel.strategy_id = 0;
    assert_int_equal(check_of(&f, &cancel, RISK_MODE_ORDER, &f.g.ins[1], &f.g.md[1], target), 0);
    order_req_t market = amend(&f, &first, ORDER_ACTION_REPLACE, 9, PX); /* only a limit order can be replaced */
    market.ord_type    = ORD_TYPE_MARKET;
    assert_int_equal(check_of(&f, &market, RISK_MODE_ORDER, &f.g.ins[1], &f.g.md[1], target),
                     RISK_BAD_SIDE_TYPE_OR_TIF);
    market.ord_type = ORD_TYPE_LIMIT;
    assert_int_equal(check_of(&f, &market, RISK_MODE_ORDER, &f.g.ins[1], &f.g.md[1], target), 0);
    glue_close(&f.g);
}

/* What is held is no order of the table yet: its holder says what a REPLACE or CANCEL is about, and nothing is sent. */
static void test_what_is_held_has_no_target(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.strategy.cancel_n = f.account.cancel_n = f.venue.cancel_n = 0;
    f.row.max_long                                              = 5;
    limits_apply(&f);
    order_req_t first   = request(&f, SIDE_BUY, 10, PX);
    first.ord_type      = ORD_TYPE_STOP_LIMIT;
    order_req_t replace = amend(&f, &first, ORDER_ACTION_REPLACE, 9, PX);
    assert_int_equal(check_of(&f, &replace, RISK_MODE_HOLD, &f.g.ins[1], &f.g.md[1], NULL), 0);
    replace.qty = 0;
    assert_int_equal(check_of(&f, &replace, RISK_MODE_HOLD, &f.g.ins[1], &f.g.md[1], NULL), RISK_QTY_NOT_POSITIVE);
    order_req_t cancel = amend(&f, &first, ORDER_ACTION_CANCEL, 0, 0);
    assert_int_equal(check_of(&f, &cancel, RISK_MODE_HOLD, &f.g.ins[1], &f.g.md[1], NULL), 0);
    assert_int_equal(f.out.soft_count, 0);
    f.row.max_long = INT64_MAX;
    limits_apply(&f);
    first = request(&f, SIDE_BUY, 10, PX); /* one at the venue is told: over a budget of none, and passes */
    assert_int_equal(ask(&f, &first), 0);
    cancel = amend(&f, &first, ORDER_ACTION_CANCEL, 0, 0);
    assert_int_equal(ask(&f, &cancel), 0);
    assert_int_equal(f.out.soft_count, 3);
    assert_int_equal(f.out.soft[0].code, RISK_RATE_CANCELS);
    glue_close(&f.g);
}

static void test_ages_that_no_clock_shows(void **state)
{
    (void)state;
    fix_t      f;
    risk_cfg_t cfg;
    risk_cfg_default(&cfg);
    fix_open(&f);
    GIVES(&f, RISK_REQUEST_TOO_OLD, RISK_MODE_ORDER, q, q.created_mono_ns = INT64_MIN);
    assert_scope(&f, SCOPE_GLOBAL, 0, INT64_MAX, cfg.max_request_age_ns);
    f.now.mono_ns = -2;
    book(&f);
    GIVES(&f, RISK_REQUEST_TOO_OLD, RISK_MODE_ORDER, q, q.created_mono_ns = INT64_MAX);
    assert_scope(&f, SCOPE_GLOBAL, 0, INT64_MIN, -cfg.max_ahead_ns);
    glue_close(&f.g);
}

/* ---- A: figures -------------------------------------------------------------------------------------------------- */

static void test_values_that_do_not_fit(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q, q.qty = INT64_MAX / PX + 1);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, INT64_MAX / PX + 1, INT64_MAX);
    /* 9800 fits, the reference of 10000 does not: a sell is worth that, of a buy the position is */
    const int64_t qty = INT64_MAX / 9900;
    GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 9800, q.qty = qty));
    assert_scope(&f, SCOPE_INSTRUMENT, 1, qty, INT64_MAX);
    GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q, (q.px = 9800, q.qty = qty));
    assert_scope(&f, SCOPE_ACCOUNT_INSTRUMENT, 1, qty, INT64_MAX);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.px = 9800, q.qty = INT64_MAX / 10000 - 5));
    glue_close(&f.g);
    fix_open(&f); /* two sells that fit, and a position that would not */
    assert_int_equal(ask_new(&f, SIDE_SELL, INT64_MAX / 20000, 10000), 0);
    later(&f, f.account.value_w_ns);
    GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q,
          (q.side = SIDE_SELL, q.px = 10000, q.qty = INT64_MAX / 20000 + 2));
    assert_scope(&f, SCOPE_ACCOUNT_INSTRUMENT, 1, INT64_MAX / 20000 * 2 + 2, INT64_MAX);
    glue_close(&f.g);
}

static void test_values_of_large_contracts(void **state)
{
    (void)state;
    fix_t            f;
    instrument_def_t def = glue_def(1);
    def.mult             = 1000000000;
    fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 900000);
    GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q, q.qty = 1000000);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 1000000, INT64_MAX);
    glue_close(&f.g);
    def.money_exp = 12; /* one contract is worth more than money can say */
    fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
    GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q, (q.qty = 1, q.px = PX));
    glue_close(&f.g);
    fix_open_negative(&f); /* -2^62 twice is a product that has no opposite */
    quote(&f, -(1LL << 62) - 1000, -(1LL << 62) + 1000);
    GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q, (q.px = -(1LL << 62), q.qty = 2));
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.px = -(1LL << 62), q.qty = 1));
    glue_close(&f.g);
}

static void test_a_replace_at_the_end_of_value(void **state)
{
    (void)state;
    fix_t         f;
    const int64_t most = INT64_MAX / 10000 - 5;
    fix_open(&f);
    const order_req_t first = request(&f, SIDE_BUY, most, 9700);
    assert_int_equal(ask(&f, &first), 0);
    later(&f, f.account.value_w_ns);
    order_req_t replace =
        amend(&f, &first, ORDER_ACTION_REPLACE, most / 2, 10300); /* until it is told: the worse of both */
    assert_int_equal(ask(&f, &replace), RISK_ARITHMETIC_OVERFLOW);
    replace = amend(&f, &first, ORDER_ACTION_REPLACE, most / 2, 9700);
    assert_int_equal(ask(&f, &replace), 0);
    glue_close(&f.g);
    fix_open(&f); /* one that came from elsewhere, of a size that has no value */
    order_req_t stray = request(&f, SIDE_BUY, INT64_MAX, PX);
    order_open(f.g.orders, &stray, PX);
    replace = amend(&f, &stray, ORDER_ACTION_REPLACE, 10, PX);
    assert_int_equal(ask(&f, &replace), RISK_ARITHMETIC_OVERFLOW);
    glue_close(&f.g);
}

static void test_a_position_at_its_end(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    glue_position(&f.g, 1, 1, INT64_MAX - 9, 1);
    GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 10, INT64_MAX);
    GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q, q.qty = 9); /* it fits, and its value does not */
    assert_scope(&f, SCOPE_ACCOUNT_INSTRUMENT, 1, INT64_MAX, INT64_MAX);
    glue_close(&f.g);
    for (int side = -1; side <= 1; side += 2) { /* one that has no value at the mark: nor has what leaves it as it is */
        fix_open(&f);
        glue_position(&f.g, 1, 1, side * (INT64_MAX / 5000), 1);
        risk_mark(f.g.risk, &f.g.ins[1], &f.g.md[1], f.now);
        GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100));
        assert_int_equal(f.out.verdict.scope_type, SCOPE_ACCOUNT_INSTRUMENT);
        GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q, (void)q);
        assert_int_equal(f.out.verdict.scope_type, SCOPE_ACCOUNT_INSTRUMENT);
        glue_close(&f.g);
    }
}

static void test_rates_at_the_end_of_value(void **state)
{
    (void)state;
    fix_t            f;
    instrument_def_t def = glue_def(1);
    def.settle_ccy       = ccy_pack("EUR");
    fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
    f.account.max_value = f.market.max_value = INT64_MAX;
    limits_apply(&f);
    assert_int_equal(risk_fx_set(f.g.risk, def.settle_ccy, f.rights.ccy, INT64_MAX / 98000, 0, f.now), ERR_OK);
    GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q, (void)q); /* 99,000 */
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 10, INT64_MAX);
    assert_int_equal(risk_fx_set(f.g.risk, def.settle_ccy, f.rights.ccy, INT64_MAX / 99500, 0, f.now), ERR_OK);
    GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q, (void)q); /* at the reference, 100,000 */
    assert_scope(&f, SCOPE_ACCOUNT_INSTRUMENT, 1, 10, INT64_MAX);
    assert_int_equal(risk_fx_set(f.g.risk, def.settle_ccy, f.rights.ccy, INT64_MAX / 100500, 0, f.now), ERR_OK);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    glue_close(&f.g);
}

/* The account's own currency in other decimals needs no rate, and none that could be old. */
static void test_the_same_currency_in_other_decimals(void **state)
{
    (void)state;
    fix_t            f;
    instrument_def_t def = glue_def(1);
    def.money_exp        = 2;
    fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
    f.account.max_value = 99000;
    limits_apply(&f);
    later(&f, 10 * RISK_DAY_NS);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    f.account.max_value = 98999;
    limits_apply(&f);
    GIVES(&f, RISK_MAX_ORDER_VALUE, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 99000, 98999);
    glue_close(&f.g);
}

static void test_ticks_by_band(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    const instrument_def_t def     = glue_def(1);
    const tick_band_t      bands[] = {{.px_from = 0, .tick = 1}, {.px_from = 10000, .tick = 10}};
    assert_int_equal(instrument_init(&f.g.ins[1], &def, "TEST", bands, 2), ERR_OK);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.px = 9999);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.px = 10010);
    GIVES(&f, RISK_PRICE_NOT_ON_TICK, RISK_MODE_ORDER, q, q.px = 10001);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 10001, 10);
    glue_close(&f.g);
}

/* ---- B, C -------------------------------------------------------------------------------------------------------- */

static void test_hedging_without_the_right_to_be_short(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    glue_position(&f.g, 1, 1, 10, 10000);
    f.rights.hedging   = 1;
    f.rights.may_short = 0;
    rights_apply(&f);
    GIVES(&f, RISK_SHORT_NOT_PERMITTED, RISK_MODE_ORDER, q,
          (q.side = SIDE_SELL, q.px = 10100, q.position_effect = POSITION_EFFECT_OPEN));
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100));
    GIVES(&f, RISK_SHORT_NOT_PERMITTED, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = 11));
    glue_close(&f.g);
}

static void fill_as(fix_t *f, side_t side, int64_t qty, position_effect_t effect)
{
    static uint64_t exec_id;
    order_effect_t  booked;
    order_req_t     open = request(f, side, qty, 10000);
    open.position_effect = (uint8_t)effect;
    assert_int_equal(ask(f, &open), 0);
    const exec_report_t fill = {.cl_ord_id     = open.cl_ord_id,
                                .exec_id_lo    = ++exec_id,
                                .account_id    = 1,
                                .instrument_id = 1,
                                .exec_type     = EXEC_TYPE_TRADE,
                                .side          = (uint8_t)side,
                                .last_qty      = qty,
                                .last_px       = 10000,
                                .cum_qty       = -1};
    glue_report(&f->g, &fill, f->now, &booked);
}

/* A hedging account that may only reduce: by CLOSE, up to what is on that side, of both sides. */
static void test_hedging_reduces_by_closing(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.rights.hedging = 1;
    rights_apply(&f);
    fill_as(&f, SIDE_BUY, 10, POSITION_EFFECT_OPEN);
    fill_as(&f, SIDE_SELL, 6, POSITION_EFFECT_OPEN);
    for (risk_mode_t mode = RISK_MODE_ORDER; mode <= RISK_MODE_HOLD; mode++) {
        control(&f, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, 1);
        GIVES(&f, RISK_REDUCE_ONLY, mode, q, (q.position_effect = POSITION_EFFECT_CLOSE, q.qty = 7));
        GIVES(&f, RISK_REDUCE_ONLY, mode, q, (q.position_effect = POSITION_EFFECT_OPEN, q.qty = 1));
        GIVES(&f, RISK_REDUCE_ONLY, mode, q, q.qty = 1);
        GIVES(&f, RISK_REDUCE_ONLY, mode, q,
              (q.side = SIDE_SELL, q.px = 10100, q.position_effect = POSITION_EFFECT_CLOSE, q.qty = 11));
    }
    GIVES(&f, 0, RISK_MODE_HOLD, q, (q.position_effect = POSITION_EFFECT_CLOSE, q.qty = 6));
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.position_effect = POSITION_EFFECT_CLOSE, q.qty = 5));
    GIVES(&f, RISK_REDUCE_ONLY, RISK_MODE_ORDER, q, (q.position_effect = POSITION_EFFECT_CLOSE, q.qty = 2));
    GIVES(&f, 0, RISK_MODE_HOLD, q, (q.position_effect = POSITION_EFFECT_CLOSE, q.qty = 6)); /* of what is there */
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.position_effect = POSITION_EFFECT_CLOSE, q.qty = 1));
    glue_close(&f.g);
}

static void test_held_and_flat_reduces_nothing(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    control(&f, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, 1);
    GIVES(&f, RISK_REDUCE_ONLY, RISK_MODE_HOLD, q, (void)q);
    GIVES(&f, RISK_REDUCE_ONLY, RISK_MODE_HOLD, q, q.side = SIDE_SELL);
    glue_position(&f.g, 1, 1, 9, 10000);
    GIVES(&f, RISK_REDUCE_ONLY, RISK_MODE_HOLD, q, q.side = SIDE_SELL);
    GIVES(&f, 0, RISK_MODE_HOLD, q, (q.side = SIDE_SELL, q.qty = 9));
    GIVES(&f, RISK_REDUCE_ONLY, RISK_MODE_HOLD, q, q.qty = 9);
    glue_close(&f.g);
}

/* A sum beyond 63 bits closes its row for good: of a tenant only where limits say that it is looked at. */
static void test_rows_that_are_closed(void **state)
{
    (void)state;
    fix_t            f;
    risk_limits_t    tenant;
    instrument_def_t def = glue_def(1);
    def.qty_exp          = 9; /* so that 2^62 of them have a value */
    risk_limits_default(SCOPE_TENANT_INSTRUMENT, &tenant);
    tenant.max_long = tenant.max_short = INT64_MAX;
    for (int wide = 0; wide < 2; wide++) { /* by a position, by an order */
        fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
        second_account(&f);
        glue_position(&f.g, 1, 1, 1LL << 62, 10000);
        glue_position(&f.g, 2, 1, (1LL << 62) - wide, 10000);
        GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
        GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 11);
        assert_int_equal(risk_limits_set(f.g.risk, SCOPE_TENANT_INSTRUMENT, 1, 1, &tenant), ERR_OK);
        GIVES(&f, RISK_INTERNAL, RISK_MODE_ORDER, q, q.qty = 12);
        assert_scope(&f, SCOPE_ACCOUNT_INSTRUMENT, 1, 0, 0);
        glue_close(&f.g);
    }
    fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
    second_account(&f);
    for (uint32_t id = 1; id <= 2; id++) { /* a strategy's row, of two accounts */
        assert_true(risk_fill(f.g.risk, &f.g.ins[1], id, 1, 1LL << 62, 10000));
    }
    GIVES(&f, RISK_INTERNAL, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.strategy_id = 0);
    glue_close(&f.g);
}

/* What happens to an order in a row that is closed: it goes on, and the row stays closed and counts for all there is. */
static void test_orders_in_closed_rows(void **state)
{
    (void)state;
    fix_t            f;
    instrument_def_t def = glue_def(1);
    def.qty_exp          = 9;
    fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
    f.rights.hedging = 1;
    rights_apply(&f);
    second_account(&f);
    fill_as(&f, SIDE_BUY, 10, POSITION_EFFECT_OPEN);
    glue_position(&f.g, 1, 1, 1LL << 62, 10000);
    glue_position(&f.g, 2, 1, 1LL << 62, 10000); /* of the tenant, too much */
    order_req_t shut     = request(&f, SIDE_SELL, 6, 10100);
    shut.position_effect = POSITION_EFFECT_CLOSE;
    shut.strategy_id     = 0;
    assert_int_equal(ask(&f, &shut), 0);
    order_effect_t      effect;
    const exec_report_t dead = {.cl_ord_id     = shut.cl_ord_id,
                                .account_id    = 1,
                                .instrument_id = 1,
                                .exec_type     = EXEC_TYPE_CANCELED,
                                .side          = SIDE_SELL,
                                .cum_qty       = -1};
    glue_report(&f.g, &dead, f.now, &effect);
    assert_false(order_is_open(order_at(f.g.orders, order_find(f.g.orders, shut.cl_ord_id))));
    shut.cl_ord_id = cl_ord_id_make(1, 1, ++f.seq); /* and its own row counts it no more: ten can be closed again */
    shut.qty       = 10;
    assert_int_equal(check(&f, &shut, RISK_MODE_ORDER), 0);
    glue_close(&f.g);
}

/* ---- D, E -------------------------------------------------------------------------------------------------------- */

static void test_references_that_are_none(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    const order_req_t buy = request(&f, SIDE_BUY, 10, PX), sell = request(&f, SIDE_SELL, 10, 10100);
    assert_int_equal(check_of(&f, &buy, RISK_MODE_ORDER, &f.g.ins[1], NULL, NULL), RISK_NO_REFERENCE_PRICE);
    assert_int_equal(check_of(&f, &sell, RISK_MODE_HOLD, &f.g.ins[1], NULL, NULL), 0);
    quote(&f, 0, 20);
    GIVES(&f, RISK_BOOK_INVALID, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 0, 20);
    GIVES(&f, RISK_BOOK_INVALID, RISK_MODE_ORDER, q, q.ord_type = ORD_TYPE_MARKET);
    quote(&f, -20, -10);
    GIVES(&f, RISK_BOOK_INVALID, RISK_MODE_ORDER, q, (void)q);
    f.g.md[1] = (risk_md_t){.has_last = 1, .last_mono_ns = f.now.mono_ns}; /* a trade at nothing */
    GIVES(&f, RISK_NO_REFERENCE_PRICE, RISK_MODE_ORDER, q, (void)q);
    f.g.md[1].prev_close     = 10000;
    f.g.md[1].has_prev_close = 1;
    GIVES(&f, RISK_NO_REFERENCE_PRICE, RISK_MODE_ORDER, q, (void)q);
    f.market.use_prev_close = 1;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    f.g.md[1].has_prev_close = 0;
    GIVES(&f, RISK_NO_REFERENCE_PRICE, RISK_MODE_ORDER, q, q.qty = 11);
    glue_close(&f.g);
    fix_open(&f); /* a market order where no limit says how far it may go */
    order_req_t market   = request(&f, SIDE_BUY, 10, 0);
    market.ord_type      = ORD_TYPE_MARKET;
    market.instrument_id = 2;
    instrument_def_t def = glue_def(2);
    glue_instrument(&f.g, &def, 1);
    assert_int_equal(check_of(&f, &market, RISK_MODE_ORDER, &f.g.ins[2], &f.g.md[1], NULL), RISK_LIMIT_MISSING);
    assert_scope(&f, SCOPE_INSTRUMENT, 2, 0, 0);
    glue_close(&f.g);
}

static void test_prices_below_zero(void **state)
{
    (void)state;
    fix_t f;
    fix_open_negative(&f);
    quote(&f, -10010, -9990);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.px = -9700);
    GIVES(&f, RISK_COLLAR_BUY, RISK_MODE_ORDER, q, q.px = -9699);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, -9699, -9700);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.ord_type = ORD_TYPE_MARKET);
    assert_int_equal(f.out.px, -9700);
    quote(&f, -10000, -10000);
    GIVES(&f, RISK_BOOK_INVALID, RISK_MODE_ORDER, q, q.px = -9701);
    f.g.md[1] = (risk_md_t){.has_last = 1, .last_px = -10000, .last_mono_ns = f.now.mono_ns};
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.px = -9702);
    GIVES(&f, RISK_COLLAR_BUY, RISK_MODE_ORDER, q, q.px = -9699);
    f.g.md[1] = (risk_md_t){.has_prev_close = 1, .prev_close = -10000};
    GIVES(&f, RISK_NO_REFERENCE_PRICE, RISK_MODE_ORDER, q, q.px = -9703);
    f.market.use_prev_close = 1;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.px = -9703);
    GIVES(&f, RISK_COLLAR_BUY, RISK_MODE_ORDER, q, q.px = -9699);
    glue_close(&f.g);
}

/* Collars that would lie beyond the prices that there are, and a spread that does. */
static void test_prices_at_the_ends(void **state)
{
    (void)state;
    fix_t         f;
    const int64_t far = INT64_MAX / 100 * 99;
    fix_open_negative(&f);
    quote(&f, far - 10, far + 10);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.px = INT64_MAX, q.qty = 1));
    glue_close(&f.g);
    fix_open_negative(&f);
    quote(&f, -far - 10, -far + 10);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.px = -INT64_MAX, q.qty = 1, q.side = SIDE_SELL));
    glue_close(&f.g);
    fix_open_negative(&f);
    quote(&f, -far, far);
    GIVES(&f, RISK_BOOK_INVALID, RISK_MODE_ORDER, q, q.px = 0);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, INT64_MAX, 0);
    glue_close(&f.g);
}

static void test_an_order_far_below(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.market.far_bp = 9000;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.px = 1000);
    GIVES(&f, RISK_FAR_FROM_MARKET, RISK_MODE_ORDER, q, q.px = 999);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 999, 1000);
    for (int64_t bp = 10000; bp <= 20000; bp += 10000) { /* all of the price, and more: nothing is too far below */
        f.market.far_bp = bp;
        limits_apply(&f);
        GIVES(&f, 0, RISK_MODE_ORDER, q, (q.px = 1, q.qty = bp));
    }
    glue_close(&f.g);
}

/* ---- G, H -------------------------------------------------------------------------------------------------------- */

/* However long nothing was sent, the first order finds its window empty. */
static void test_a_value_window_that_runs_dry(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.account.value_w_max = 20 * PX;
    limits_apply(&f);
    for (int i = 0; i < 20; i++) {
        GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 1);
    }
    GIVES(&f, RISK_RATE_VALUE, RISK_MODE_ORDER, q, q.qty = 1);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 21 * PX, 20 * PX);
    later(&f, f.account.value_w_ns - 1);
    GIVES(&f, RISK_RATE_VALUE, RISK_MODE_ORDER, q, q.qty = 1);
    later(&f, 1);
    GIVES(&f, RISK_RATE_VALUE, RISK_MODE_ORDER, q, q.qty = 21);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 21 * PX, 20 * PX);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 20);
    GIVES(&f, RISK_RATE_VALUE, RISK_MODE_ORDER, q, q.qty = 1);
    glue_close(&f.g);
}

/* A window that grows finds what it had let go, be it more than any limit. */
static void test_a_value_window_that_grows(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.account.value_w_ns = NS_PER_MS;
    limits_apply(&f);
    for (int i = 0; i < 3; i++) {
        const order_req_t buy = request(&f, SIDE_BUY, INT64_MAX / 10000 / 10 * 4, PX);
        assert_int_equal(ask(&f, &buy), 0);
        order_effect_t      effect;
        const exec_report_t dead = {.cl_ord_id     = buy.cl_ord_id,
                                    .account_id    = 1,
                                    .instrument_id = 1,
                                    .exec_type     = EXEC_TYPE_CANCELED,
                                    .side          = SIDE_BUY,
                                    .cum_qty       = -1};
        glue_report(&f.g, &dead, f.now, &effect);
        later(&f, NS_PER_MS);
    }
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 1);
    f.account.value_w_ns = 60 * NS_PER_S;
    limits_apply(&f);
    GIVES(&f, RISK_RATE_VALUE, RISK_MODE_ORDER, q, q.qty = 1);
    assert_scope(&f, SCOPE_ACCOUNT, 1, INT64_MAX, INT64_MAX);
    later(&f, 60 * NS_PER_S);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 1);
    glue_close(&f.g);
}

/* The one limit that is used to its soft share, all others hardly. */
static void test_a_value_window_is_told_when_it_fills(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.account.value_w_max = 25 * PX;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 12);
    assert_int_equal(f.out.soft_count, 0);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 7);
    assert_int_equal(f.out.soft_count, 0);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 1);
    assert_int_equal(f.out.soft_count, 1);
    assert_int_equal(f.out.soft[0].code, RISK_RATE_VALUE);
    assert_int_equal(f.out.soft[0].observed, 20 * PX);
    assert_int_equal(f.out.soft[0].limit, 25 * PX);
    glue_close(&f.g);
}

/* Soft limits of a half: what other desks are told of at four fifths. */
static void test_soft_limits_of_a_half(void **state)
{
    (void)state;
    fix_t                  f;
    risk_cfg_t             cfg;
    const instrument_def_t def = glue_def(1);
    risk_cfg_default(&cfg);
    cfg.soft_bp = 5000;
    fix_open_cfg(&f, &def, &cfg);
    f.account.max_open_value = 25 * PX;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 12);
    assert_int_equal(f.out.soft_count, 0);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 1);
    assert_int_equal(f.out.soft_count, 1);
    assert_int_equal(f.out.soft[0].code, RISK_MAX_OPEN_VALUE);
    assert_int_equal(f.out.soft[0].observed, 13 * PX);
    glue_close(&f.g);
    fix_open(&f);
    f.account.max_open_value = 25 * PX;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 19);
    assert_int_equal(f.out.soft_count, 0);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 1);
    assert_int_equal(f.out.soft_count, 1);
    assert_int_equal(f.out.soft[0].code, RISK_MAX_OPEN_VALUE);
    glue_close(&f.g);
}

/* More orders than the window of 273 has places are 273, whatever they are worth. */
static void test_a_value_window_has_so_many_places(void **state)
{
    (void)state;
    fix_t                  f;
    risk_cfg_t             cfg;
    const instrument_def_t def = glue_def(1);
    risk_cfg_default(&cfg);
    cfg.value_window_max = 2;
    fix_open_cfg(&f, &def, &cfg);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    GIVES(&f, RISK_RATE_VALUE, RISK_MODE_ORDER, q, (void)q);
    later(&f, f.account.value_w_ns);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    glue_close(&f.g);
}

static void test_a_budget_at_the_end_of_figures(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    venue_budget_t budget = {.venue_id = GLUE_VENUE, .used = INT64_MAX / 2, .limit = INT64_MAX, .w_ns = NS_PER_S};
    assert_int_equal(risk_budget(f.g.risk, &budget, f.now), ERR_OK);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    budget.used = 0;
    assert_int_equal(risk_budget(f.g.risk, &budget, f.now), ERR_OK);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (void)q);
    budget.used = INT64_MAX / 10 * 9;
    assert_int_equal(risk_budget(f.g.risk, &budget, f.now), ERR_OK);
    GIVES(&f, RISK_VENUE_BUDGET, RISK_MODE_ORDER, q, (void)q);
    assert_int_equal(f.out.verdict.observed, INT64_MAX / 10 * 9 + 1);
    glue_close(&f.g);
}

static void test_orders_to_trades_at_the_end_of_figures(void **state)
{
    (void)state;
    fix_t            f;
    instrument_def_t def  = glue_def(1);
    def.qty_exp           = 9;
    order_effect_t traded = {.account_id = 1, .strategy_id = 1, .instrument_id = 1, .booked = 1, .qty = 1, .px = PX};
    fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
    f.strategy.otr_start = 0;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 1LL << 62);
    risk_traded(f.g.risk, &traded, f.now);
    GIVES(&f, RISK_ORDER_TO_TRADE, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = 1LL << 62));
    assert_scope(&f, SCOPE_STRATEGY_INSTRUMENT, 1, INT64_MAX, f.strategy.otr_max);
    f.strategy.otr_max = INT64_MAX / 2; /* times a trade of one is as far as a figure goes, of two farther */
    limits_apply(&f);
    GIVES(&f, RISK_ORDER_TO_TRADE, RISK_MODE_ORDER, q, q.qty = 1);
    risk_traded(f.g.risk, &traded, f.now);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 1);
    GIVES(&f, RISK_ORDER_TO_TRADE, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = 1LL << 62));
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = (1LL << 62) - 1)); /* 2^63 of 2^63 */
    glue_close(&f.g);
}

static void test_no_equal_order_is_allowed_not_even_the_first(void **state)
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

/* What the venue says is filled can no longer trade, though its fills are still to come. */
static void test_an_order_that_is_filled_is_not_crossed(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    const order_req_t sell = request(&f, SIDE_SELL, 5, 10010);
    assert_int_equal(ask(&f, &sell), 0);
    assert_int_equal(ask_new(&f, SIDE_BUY, 10, 10010), RISK_SELF_TRADE);
    order_effect_t      effect;
    const exec_report_t told = {.cl_ord_id     = sell.cl_ord_id,
                                .account_id    = 1,
                                .instrument_id = 1,
                                .exec_type     = EXEC_TYPE_ORDER_STATUS,
                                .ord_status    = ORD_STATUS_PARTIALLY_FILLED,
                                .side          = SIDE_SELL,
                                .order_qty     = 5,
                                .px            = 10010,
                                .cum_qty       = 5};
    glue_report(&f.g, &told, f.now, &effect);
    const order_t *o = order_at(f.g.orders, order_find(f.g.orders, sell.cl_ord_id));
    assert_true(order_is_open(o) && order_leaves(o) == 0);
    assert_int_equal(ask_new(&f, SIDE_BUY, 10, 10010), 0);
    glue_close(&f.g);
}

/* Cancels count for 275, but not those in an auction, of the instrument's as of the venue's session. */
static void test_cancels_in_an_auction(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        fix_t f;
        fix_open(&f);
        f.strategy.otr_start = 0;
        f.strategy.otr_max   = 2;
        limits_apply(&f);
        const order_req_t first = request(&f, SIDE_BUY, 10, PX);
        assert_int_equal(ask(&f, &first), 0);
        const scope_t  scope = i == 1 ? SCOPE_VENUE : SCOPE_INSTRUMENT;
        const uint32_t id    = i == 1 ? GLUE_VENUE : 1;
        if (i > 0) {
            control(&f, CONTROL_SESSION, scope, id, SESSION_PRE_OPEN);
        }
        const order_req_t cancel = amend(&f, &first, ORDER_ACTION_CANCEL, 0, 0);
        assert_int_equal(ask(&f, &cancel), 0);
        control(&f, CONTROL_SESSION, scope, id, SESSION_OPEN);
        assert_int_equal(ask_new(&f, SIDE_BUY, 11, PX), i == 0 ? RISK_ORDER_TO_TRADE : 0);
        glue_close(&f.g);
    }
}

/* One that the engine makes itself does not count either. */
static void test_cancels_of_the_engine(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.strategy.otr_start = 0;
    f.strategy.otr_max   = 2;
    limits_apply(&f);
    const order_req_t first = request(&f, SIDE_BUY, 10, PX);
    assert_int_equal(ask(&f, &first), 0);
    order_req_t cancel = amend(&f, &first, ORDER_ACTION_CANCEL, 0, 0);
    cancel.cl_ord_id   = cl_ord_id_make(1, 0, 1);
    assert_int_equal(ask(&f, &cancel), 0);
    assert_int_equal(ask_new(&f, SIDE_BUY, 11, PX), 0);
    assert_int_equal(ask_new(&f, SIDE_BUY, 12, PX), RISK_ORDER_TO_TRADE);
    glue_close(&f.g);
}

/* ---- I ----------------------------------------------------------------------------------------------------------- */

/* Rows of strategy and tenant end where the account's does not. */
static void test_sums_of_others_at_their_end(void **state)
{
    (void)state;
    fix_t         f;
    risk_limits_t tenant;
    fix_open(&f);
    second_account(&f);
    assert_true(risk_fill(f.g.risk, &f.g.ins[1], 2, 1, INT64_MAX - 9, 1));
    GIVES(&f, RISK_MAX_LONG, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_STRATEGY_INSTRUMENT, 1, INT64_MAX, INT64_MAX);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 9);
    glue_close(&f.g);
    fix_open(&f);
    second_account(&f);
    risk_limits_default(SCOPE_TENANT_INSTRUMENT, &tenant);
    tenant.max_long = tenant.max_short = INT64_MAX;
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_TENANT_INSTRUMENT, 1, 1, &tenant), ERR_OK);
    assert_true(risk_fill(f.g.risk, &f.g.ins[1], 2, 0, INT64_MAX - 9, 1));
    GIVES(&f, RISK_MAX_LONG, RISK_MODE_ORDER, q, (void)q);
    assert_scope(&f, SCOPE_TENANT_INSTRUMENT, 1, INT64_MAX, INT64_MAX);
    GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 9);
    glue_close(&f.g);
}

/* What rests and the worst case, of either side, each beyond 63 bits: of the account it closes the row or does not fit, of
 * the strategy it is over the limit, of a tenant without limits of its own it stops nothing. */
static void test_each_sum_at_its_end(void **state)
{
    (void)state;
    enum { OWN, STRATEGY, TENANT };
    const int64_t half = 1LL << 62;
    for (int i = 0; i < 12; i++) {
        fix_t            f;
        const bool       buys = i % 2 == 0, rests = i / 2 % 2 == 0;
        const int        whose = i / 4, sign = buys ? 1 : -1;
        const uint32_t   other = whose == STRATEGY ? 1 : 0;
        const side_t     side  = buys ? SIDE_BUY : SIDE_SELL;
        const int64_t    px    = buys ? PX : 10100;
        instrument_def_t def   = glue_def(1);
        def.qty_exp            = 9;
        fix_open_with(&f, &def, RISK_STP_MODE_CANCEL_NEWEST);
        second_account(&f);
        int64_t qty = rests ? half : 10;
        if (whose == OWN && rests) {
            assert_true(risk_fill(f.g.risk, &f.g.ins[1], 1, 1, -sign * half, 10000)); /* room in the strategy's */
        }
        if (whose == OWN && !rests) {
            glue_position(&f.g, 1, 1, sign * (INT64_MAX - 9), 10000);
        }
        if (whose != OWN && !rests) {
            assert_true(risk_fill(f.g.risk, &f.g.ins[1], 2, other, sign * (INT64_MAX - 9), 10000));
        }
        if (rests) {
            GIVES(&f, 0, RISK_MODE_ORDER, q,
                  (q.side = (uint8_t)side, q.px = px, q.qty = half, q.account_id = whose == OWN ? 1 : 2,
                   q.strategy_id = whose == OWN ? 1 : other));
        }
        const uint16_t over = buys ? RISK_MAX_LONG : RISK_MAX_SHORT;
        const uint16_t want = whose == STRATEGY ? over : whose == OWN && !rests ? RISK_ARITHMETIC_OVERFLOW : 0;
        GIVES(&f, want, RISK_MODE_ORDER, q, (q.side = (uint8_t)side, q.px = px + (buys ? 1 : -1), q.qty = qty));
        GIVES(&f, whose == OWN && rests ? RISK_INTERNAL : 0, RISK_MODE_ORDER, q,
              (q.side = (uint8_t)(buys ? SIDE_SELL : SIDE_BUY), q.px = buys ? 10100 : PX, q.qty = 1));
        glue_close(&f.g);
    }
}

/* A market that moved so far that what rests on the other side has no value any more, before and after it is marked. */
static void test_the_other_side_without_a_value(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        fix_t        f;
        const bool   buys = i % 2 == 0;
        const side_t side = buys ? SIDE_BUY : SIDE_SELL, other = buys ? SIDE_SELL : SIDE_BUY;
        fix_open(&f);
        GIVES(&f, 0, RISK_MODE_ORDER, q, (q.side = (uint8_t)other, q.px = 10000, q.qty = INT64_MAX / 10000 / 10 * 6));
        quote(&f, 19990, 20010);
        if (i / 2 == 1) {
            risk_mark(f.g.risk, &f.g.ins[1], &f.g.md[1], f.now);
        }
        GIVES(&f, RISK_ARITHMETIC_OVERFLOW, RISK_MODE_ORDER, q, (q.side = (uint8_t)side, q.px = 20000));
        assert_scope(&f, SCOPE_ACCOUNT_INSTRUMENT, 1, 10, INT64_MAX);
        quote(&f, 9990, 10010);
        GIVES(&f, 0, RISK_MODE_ORDER, q, (q.side = (uint8_t)side, q.px = 10000));
        glue_close(&f.g);
    }
}

/* The firm counts in the money of its first account; tenant and firm alone, each near its end. */
static void test_credit_of_tenant_and_firm(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        fix_t         f;
        const scope_t scope = i ? SCOPE_GLOBAL : SCOPE_TENANT;
        risk_limits_t limits;
        fix_open(&f);
        risk_limits_default(scope, &limits);
        limits.max_credit = 100000;
        assert_int_equal(risk_limits_set(f.g.risk, scope, i ? 0 : 1, 0, &limits), ERR_OK);
        GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 7);
        GIVES(&f, RISK_CREDIT, RISK_MODE_ORDER, q, q.qty = 4);
        assert_scope(&f, scope, i ? 0 : 1, 110000, 100000);
        GIVES(&f, 0, RISK_MODE_ORDER, q, q.qty = 3);
        glue_close(&f.g);
    }
    for (int i = 0; i < 2; i++) { /* an account of another currency, or of other decimals */
        fix_t            f;
        instrument_def_t def = glue_def(2);
        def.settle_ccy       = ccy_pack(i ? "USDT" : "EUR");
        def.money_exp        = i ? 1 : 0;
        fix_open(&f);
        assert_int_equal(instrument_init(&f.g.ins[2], &def, "TEST", (tick_band_t[]){{0, 1}}, 1), ERR_OK);
        risk_account_cfg_t rights = f.rights;
        rights.ccy                = def.settle_ccy;
        rights.money_exp          = def.money_exp;
        assert_int_equal(risk_account_open(f.g.risk, 2, &rights), ERR_OK);
        assert_int_equal(risk_limits_set(f.g.risk, SCOPE_ACCOUNT, 2, 0, &f.account), ERR_OK);
        assert_int_equal(risk_limits_set(f.g.risk, SCOPE_ACCOUNT_INSTRUMENT, 2, 2, &f.row), ERR_OK);
        assert_int_equal(risk_limits_set(f.g.risk, SCOPE_INSTRUMENT, 2, 0, &f.market), ERR_OK);
        assert_int_equal(risk_limits_set(f.g.risk, SCOPE_STRATEGY_INSTRUMENT, 1, 2, &f.strategy_row), ERR_OK);
        if (i == 0) {
            assert_int_equal(risk_fx_set(f.g.risk, rights.ccy, f.rights.ccy, 2, 0, f.now), ERR_OK);
        }
        order_req_t req   = request(&f, SIDE_BUY, 10, PX);
        req.account_id    = 2;
        req.instrument_id = 2;
        assert_int_equal(check_of(&f, &req, RISK_MODE_ORDER, &f.g.ins[2], &f.g.md[1], NULL), 0);
        risk_limits_t firm;
        risk_limits_default(SCOPE_GLOBAL, &firm);
        firm.max_credit = i ? 199999 : 399999; /* twenty at 10000: in other decimals a tenth of 10^6, in euros twice */
        assert_int_equal(risk_limits_set(f.g.risk, SCOPE_GLOBAL, 0, 0, &firm), ERR_OK);
        req.cl_ord_id = cl_ord_id_make(1, 1, ++f.seq);
        req.qty       = 10;
        req.px        = PX - 1;
        assert_int_equal(check_of(&f, &req, RISK_MODE_ORDER, &f.g.ins[2], &f.g.md[1], NULL), RISK_CREDIT);
        assert_scope(&f, SCOPE_GLOBAL, 0, firm.max_credit + 1, firm.max_credit);
        glue_close(&f.g);
    }
}

/* Asking ahead for memory is no event; a rate can be used while it is young, and of one currency always. */
static void test_what_leaves_all_as_it_is(void **state)
{
    (void)state;
    fix_t          f;
    const uint64_t eur = ccy_pack("EUR"), usd = ccy_pack("USDT");
    fix_open(&f);
    assert_false(risk_fx_usable(f.g.risk, eur, usd, f.now));
    assert_int_equal(risk_fx_set(f.g.risk, eur, usd, 2, 0, f.now), ERR_OK);
    const uint64_t hash = risk_hash(0, f.g.risk);
    risk_prefetch(f.g.risk, 1, 1, 1);
    assert_true(risk_fx_usable(f.g.risk, eur, usd, f.now));
    later(&f, RISK_DAY_NS);
    assert_true(risk_fx_usable(f.g.risk, eur, usd, f.now));
    later(&f, 1);
    assert_false(risk_fx_usable(f.g.risk, eur, usd, f.now));
    assert_true(risk_fx_usable(f.g.risk, usd, usd, f.now));
    assert_int_equal(risk_hash(0, f.g.risk), hash);
    glue_close(&f.g);
}

static void test_margin_at_the_end_of_value(void **state)
{
    (void)state;
    fix_t         f;
    const int64_t qty = INT64_MAX / 10000; /* times 10,000 bp: the last product that fits */
    fix_open(&f);
    f.g.md[1]            = (risk_md_t){.has_last = 1, .last_px = 1, .last_mono_ns = f.now.mono_ns};
    f.account.max_credit = qty;
    limits_apply(&f);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.px = 1, q.qty = qty));
    glue_close(&f.g);
    fix_open(&f);
    f.g.md[1]            = (risk_md_t){.has_last = 1, .last_px = 1, .last_mono_ns = f.now.mono_ns};
    f.account.max_credit = qty - 1;
    limits_apply(&f);
    GIVES(&f, RISK_CREDIT, RISK_MODE_ORDER, q, (q.px = 1, q.qty = qty));
    assert_scope(&f, SCOPE_ACCOUNT, 1, qty, qty - 1);
    f.market.margin_bp   = 1000000; /* a hundred times */
    f.account.max_credit = INT64_MAX - 1;
    limits_apply(&f);
    GIVES(&f, RISK_CREDIT, RISK_MODE_ORDER, q, (q.px = 1, q.qty = INT64_MAX / 100 + 1));
    assert_scope(&f, SCOPE_ACCOUNT, 1, INT64_MAX, INT64_MAX - 1);
    GIVES(&f, 0, RISK_MODE_ORDER, q, (q.px = 1, q.qty = INT64_MAX / 100));
    glue_close(&f.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_instrument_must_be_the_one_that_is_named),
        cmocka_unit_test(test_a_replace_is_of_the_order_that_it_names),
        cmocka_unit_test(test_what_is_held_has_no_target),
        cmocka_unit_test(test_ages_that_no_clock_shows),
        cmocka_unit_test(test_values_that_do_not_fit),
        cmocka_unit_test(test_values_of_large_contracts),
        cmocka_unit_test(test_a_replace_at_the_end_of_value),
        cmocka_unit_test(test_a_position_at_its_end),
        cmocka_unit_test(test_rates_at_the_end_of_value),
        cmocka_unit_test(test_the_same_currency_in_other_decimals),
        cmocka_unit_test(test_ticks_by_band),
        cmocka_unit_test(test_hedging_without_the_right_to_be_short),
        cmocka_unit_test(test_hedging_reduces_by_closing),
        cmocka_unit_test(test_held_and_flat_reduces_nothing),
        cmocka_unit_test(test_rows_that_are_closed),
        cmocka_unit_test(test_orders_in_closed_rows),
        cmocka_unit_test(test_references_that_are_none),
        cmocka_unit_test(test_prices_below_zero),
        cmocka_unit_test(test_prices_at_the_ends),
        cmocka_unit_test(test_an_order_far_below),
        cmocka_unit_test(test_a_value_window_that_runs_dry),
        cmocka_unit_test(test_a_value_window_that_grows),
        cmocka_unit_test(test_a_value_window_is_told_when_it_fills),
        cmocka_unit_test(test_soft_limits_of_a_half),
        cmocka_unit_test(test_a_value_window_has_so_many_places),
        cmocka_unit_test(test_a_budget_at_the_end_of_figures),
        cmocka_unit_test(test_orders_to_trades_at_the_end_of_figures),
        cmocka_unit_test(test_no_equal_order_is_allowed_not_even_the_first),
        cmocka_unit_test(test_an_order_that_is_filled_is_not_crossed),
        cmocka_unit_test(test_cancels_in_an_auction),
        cmocka_unit_test(test_cancels_of_the_engine),
        cmocka_unit_test(test_sums_of_others_at_their_end),
        cmocka_unit_test(test_each_sum_at_its_end),
        cmocka_unit_test(test_the_other_side_without_a_value),
        cmocka_unit_test(test_credit_of_tenant_and_firm),
        cmocka_unit_test(test_what_leaves_all_as_it_is),
        cmocka_unit_test(test_margin_at_the_end_of_value),
    };
    return cmocka_run_group_tests_name("gate edges", tests, NULL, NULL);
}
