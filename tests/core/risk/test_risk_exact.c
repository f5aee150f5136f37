/* Corners of the sheet that a wide test does not meet: a window of 273 that grows, a margin that changes, a price of exactly 0,
 * soft limits of credit, funds and turnover, the price range of the visible depth; each figure reckoned by hand.
 * One account, one linear instrument at 9990/10010, so that an order of 1 at 10000 is worth 10000. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/risk/risk_private.h"
#include "core/types/ids.h"
#include "tests/lib/glue.h"

enum { WORTH = 10000 };

typedef struct desk {
    glue_t        g;
    now_t         now;
    uint64_t      seq;
    risk_limits_t account;
    risk_out_t    out;
} desk_t;

static void limits_to(desk_t *d, scope_t scope, uint32_t id1, uint32_t id2, const risk_limits_t *l)
{
    assert_int_equal(risk_limits_set(d->g.risk, scope, id1, id2, l), ERR_OK);
}

static void book(desk_t *d, int64_t bid, int64_t ask)
{
    const risk_md_t md = {.bid_px = bid, .ask_px = ask, .has_bid = 1, .has_ask = 1, .book_mono_ns = d->now.mono_ns};
    glue_book(&d->g, 1, &md, d->now);
}

static void later(desk_t *d, int64_t ns)
{
    d->now.mono_ns += ns;
    d->now.utc_ns += ns;
    book(d, 9990, 10010);
}

static void desk_open(desk_t *d, uint32_t value_window_max, bool negative)
{
    risk_cfg_t       cfg;
    risk_limits_t    l;
    instrument_def_t def = glue_def(1);
    risk_cfg_default(&cfg);
    cfg.value_window_max = value_window_max;
    *d                   = (desk_t){.now = {.mono_ns = 1000 * NS_PER_S, .utc_ns = 1700000000 * NS_PER_S}};
    glue_open(&d->g, cfg, 256, 256);
    def.allow_negative = negative;
    glue_instrument(&d->g, &def, 1);
    glue_account(&d->g, 1);
    glue_ready(&d->g);
    risk_limits_default(SCOPE_VENUE, &l);
    limits_to(d, SCOPE_VENUE, GLUE_VENUE, 0, &l);
    risk_limits_default(SCOPE_INSTRUMENT, &l);
    l.max_qty = l.max_value = INT64_MAX;
    limits_to(d, SCOPE_INSTRUMENT, 1, 0, &l);
    risk_limits_default(SCOPE_ACCOUNT_INSTRUMENT, &l);
    l.max_qty = l.max_long = l.max_short = INT64_MAX;
    limits_to(d, SCOPE_ACCOUNT_INSTRUMENT, 1, 1, &l);
    risk_limits_default(SCOPE_ACCOUNT, &d->account);
    d->account.max_value = d->account.max_gross = d->account.max_net = d->account.max_open_value = INT64_MAX;
    d->account.max_day_loss = d->account.max_realised_loss = d->account.max_drawdown = INT64_MAX;
    d->account.value_w_max                                                           = INT64_MAX;
    d->account.concentration_bp                                                      = RISK_BP;
    d->account.dup_n                                                                 = 100;
    limits_to(d, SCOPE_ACCOUNT, 1, 0, &d->account);
    if (!negative) {
        book(d, 9990, 10010);
    }
}

static uint16_t buy(desk_t *d, int64_t qty)
{
    const order_req_t req = {.action          = ORDER_ACTION_NEW,
                             .cl_ord_id       = cl_ord_id_make(1, 1, ++d->seq),
                             .tenant_id       = 1,
                             .account_id      = 1,
                             .instrument_id   = 1,
                             .px              = 10000,
                             .qty             = qty,
                             .created_mono_ns = d->now.mono_ns,
                             .side            = SIDE_BUY,
                             .ord_type        = ORD_TYPE_LIMIT,
                             .tif             = TIF_GTC};
    return glue_request(&d->g, &req, d->now, &d->out);
}

static void window_of(desk_t *d, int64_t ns, int64_t max)
{
    d->account.value_w_ns  = ns;
    d->account.value_w_max = max;
    limits_to(d, SCOPE_ACCOUNT, 1, 0, &d->account);
}

/* What a shorter window has let go counts again in a longer one, as far as it lies in that. */
static void test_value_window_grows(void **state)
{
    (void)state;
    desk_t d;
    desk_open(&d, 64, false);
    window_of(&d, NS_PER_S, 10 * WORTH);
    assert_int_equal(buy(&d, 1), 0);
    later(&d, 5 * NS_PER_S);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(buy(&d, 1), 0);
    }
    later(&d, 2 * NS_PER_S);
    assert_int_equal(buy(&d, 10), 0); /* the window was empty */
    later(&d, NS_PER_S);
    window_of(&d, 3 * NS_PER_S, 20 * WORTH); /* t - 3 s is not in it: the five are out, the ten are in */
    assert_int_equal(buy(&d, 11), RISK_RATE_VALUE);
    assert_int_equal(d.out.verdict.observed, 21 * WORTH);
    window_of(&d, 3 * NS_PER_S + 1, 20 * WORTH); /* and now the five are in */
    assert_int_equal(buy(&d, 6), RISK_RATE_VALUE);
    assert_int_equal(d.out.verdict.observed, 21 * WORTH);
    assert_int_equal(d.out.verdict.limit, 20 * WORTH);
    assert_int_equal(buy(&d, 5), 0);
    window_of(&d, 10 * NS_PER_S, 21 * WORTH); /* and the very first */
    assert_int_equal(buy(&d, 1), RISK_RATE_VALUE);
    assert_int_equal(d.out.verdict.observed, 22 * WORTH);
    window_of(&d, 1, WORTH);
    later(&d, 1);
    assert_int_equal(buy(&d, 1), 0);
    glue_close(&d.g);
}

/* When more has passed in the longer window than is remembered, nothing more passes. */
static void test_value_window_grows_beyond_memory(void **state)
{
    (void)state;
    desk_t d;
    desk_open(&d, 4, false);
    window_of(&d, NS_PER_S, 100 * WORTH);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(buy(&d, 1), 0);
        later(&d, NS_PER_S / 2);
    }
    window_of(&d, 100 * NS_PER_S, 100 * WORTH);
    assert_int_equal(buy(&d, 1), RISK_RATE_VALUE);
    window_of(&d, NS_PER_S, 100 * WORTH);
    assert_int_equal(buy(&d, 1), 0);
    glue_close(&d.g);
}

/* A stray second id would name another set than the one that is meant. */
static void test_change_with_a_stray_id(void **state)
{
    (void)state;
    desk_t d;
    desk_open(&d, 64, false);
    const uint64_t           hash  = risk_hash(1, d.g.risk);
    const risk_limit_value_t bad[] = {
        {.scope_type = SCOPE_GLOBAL, .id1 = 0, .id2 = 1, .field = RISK_FIELD_max_credit, .value = 1},
        {.scope_type = SCOPE_TENANT, .id1 = 1, .id2 = 1, .field = RISK_FIELD_max_credit, .value = 1},
        {.scope_type = SCOPE_ACCOUNT, .id1 = 1, .id2 = 1, .field = RISK_FIELD_max_gross, .value = 1},
        {.scope_type = SCOPE_STRATEGY, .id1 = 1, .id2 = 1, .field = RISK_FIELD_rate_n, .value = 1},
        {.scope_type = SCOPE_INSTRUMENT, .id1 = 1, .id2 = 1, .field = RISK_FIELD_max_qty, .value = 1},
        {.scope_type = SCOPE_VENUE, .id1 = 1, .id2 = 1, .field = RISK_FIELD_rate_n, .value = 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        risk_limit_value_t good = bad[i];
        good.id2                = 0;
        assert_int_equal(risk_limits_change(d.g.risk, (risk_limit_value_t[]){good, bad[i]}, 2), ERR_ARG);
        assert_int_equal(risk_hash(1, d.g.risk), hash);
    }
    const risk_limit_value_t pair = {
        .scope_type = SCOPE_ACCOUNT_INSTRUMENT, .id1 = 1, .id2 = 1, .field = RISK_FIELD_max_qty, .value = 1};
    assert_int_equal(risk_limits_change(d.g.risk, &pair, 1), ERR_OK);
    glue_close(&d.g);
}

/* Needs of account, tenant and firm follow a change of margin with the change, not with the next mark. */
static void test_margin_changes_at_once(void **state)
{
    (void)state;
    desk_t               d;
    risk_account_state_t s;
    desk_open(&d, 64, false);
    assert_int_equal(buy(&d, 3), 0);
    const risk_limit_value_t change = {
        .scope_type = SCOPE_INSTRUMENT, .id1 = 1, .field = RISK_FIELD_margin_bp, .value = 2501};
    assert_int_equal(risk_limits_change(d.g.risk, &change, 1), ERR_OK);
    assert_true(risk_account_state(d.g.risk, 1, &s));
    assert_int_equal(s.need, 7503);
    assert_int_equal(risk_tenant(d.g.risk, 1)->need, 7503);
    assert_int_equal(d.g.risk->need, 7503);
    glue_close(&d.g);
}

/* 0 is a price where prices may be negative: what is marked at it is worth nothing, whatever was paid. */
static void test_a_mark_of_zero(void **state)
{
    (void)state;
    desk_t               d;
    risk_account_state_t s;
    desk_open(&d, 64, true);
    assert_true(risk_fill(d.g.risk, &d.g.ins[1], 1, 0, 5, 40)); /* no mark yet: at what was paid */
    assert_true(risk_account_state(d.g.risk, 1, &s));
    assert_int_equal(s.gross, 200);
    book(&d, -5, 5);
    assert_true(risk_account_state(d.g.risk, 1, &s));
    assert_int_equal(s.gross, 0);
    assert_true(risk_fill(d.g.risk, &d.g.ins[1], 1, 0, 5, 40));
    assert_true(risk_account_state(d.g.risk, 1, &s));
    assert_int_equal(s.gross, 0);
    book(&d, -5, 7);
    assert_true(risk_account_state(d.g.risk, 1, &s));
    assert_int_equal(s.gross, 10);
    glue_close(&d.g);
}

/* Buys of 1 up to the first that reaches 80 % of 10: the eighth. */
static void soft_at_eight(desk_t *d, risk_code_t code, scope_t scope, uint32_t scope_id)
{
    for (int i = 1; i <= 7; i++) {
        assert_int_equal(buy(d, 1), 0);
        assert_int_equal(d->out.soft_count, 0);
    }
    assert_int_equal(buy(d, 1), 0);
    assert_int_equal(d->out.soft_count, 1);
    assert_int_equal(d->out.soft[0].code, code);
    assert_int_equal(d->out.soft[0].scope_type, scope);
    assert_int_equal(d->out.soft[0].scope_id, scope_id);
    assert_int_equal(d->out.soft[0].observed, 8 * WORTH);
    assert_int_equal(d->out.soft[0].limit, 10 * WORTH);
    assert_int_equal(buy(d, 1), 0);
    assert_int_equal(d->out.soft_count, 0); /* once a second */
    later(d, NS_PER_S);
    assert_int_equal(buy(d, 1), 0);
    assert_int_equal(d->out.soft_count, 1);
    assert_int_equal(d->out.soft[0].observed, 10 * WORTH);
    assert_int_equal(buy(d, 1), code);
    glue_close(&d->g);
}

static void test_soft_credit(void **state)
{
    (void)state;
    static const scope_t scopes[] = {SCOPE_ACCOUNT, SCOPE_TENANT, SCOPE_GLOBAL};
    for (size_t i = 0; i < 3; i++) {
        desk_t                   d;
        const uint32_t           id     = scopes[i] == SCOPE_GLOBAL ? 0 : 1;
        const risk_limit_value_t credit = {
            .scope_type = scopes[i], .id1 = id, .field = RISK_FIELD_max_credit, .value = 10 * WORTH};
        desk_open(&d, 64, false);
        assert_int_equal(risk_limits_change(d.g.risk, &credit, 1), ERR_OK);
        soft_at_eight(&d, RISK_CREDIT, scopes[i], id);
    }
}

static void test_soft_funds(void **state)
{
    (void)state;
    for (int spot = 0; spot < 2; spot++) {
        desk_t d;
        desk_open(&d, 64, false);
        if (spot) {
            d.g.ins[1].def.kind = INSTRUMENT_SPOT;
        }
        risk_account(d.g.risk, 1)->cfg.funds = spot ? RISK_FUNDS_CASH : RISK_FUNDS_MARGIN;
        risk_equity(d.g.risk, 1, 10 * WORTH, 10 * WORTH);
        soft_at_eight(&d, RISK_MARGIN, SCOPE_ACCOUNT, 1);
    }
}

static void test_soft_turnover(void **state)
{
    (void)state;
    desk_t d;
    desk_open(&d, 64, false);
    d.account.max_turnover = 10 * WORTH;
    limits_to(&d, SCOPE_ACCOUNT, 1, 0, &d.account);
    soft_at_eight(&d, RISK_MAX_TURNOVER, SCOPE_ACCOUNT, 1);
}

/* What has left the window is not its use. */
static void test_soft_value_window(void **state)
{
    (void)state;
    desk_t d;
    desk_open(&d, 64, false);
    window_of(&d, NS_PER_S, 40 * WORTH);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(buy(&d, 1), 0);
    }
    later(&d, NS_PER_S);
    assert_int_equal(buy(&d, 10), 0);
    assert_int_equal(d.out.soft_count, 0); /* 10 of 40 */
    assert_int_equal(buy(&d, 22), 0);
    assert_int_equal(d.out.soft_count, 1);
    assert_int_equal(d.out.soft[0].code, RISK_RATE_VALUE);
    assert_int_equal(d.out.soft[0].observed, 32 * WORTH);
    glue_close(&d.g);
}

/* The collar of 3 %, on the side of the price that is inside it. */
static void test_depth_prices(void **state)
{
    (void)state;
    desk_t    d;
    int64_t   up = 1, down = 1;
    risk_md_t md = {.bid_px = 100, .ask_px = 103, .has_bid = 1, .has_ask = 1};
    desk_open(&d, 64, true);
    md.book_mono_ns = d.now.mono_ns;
    assert_false(risk_depth_px(d.g.risk, &d.g.ins[1], &md, d.now, &up, &down)); /* not asked for */
    const risk_limit_value_t depth = {
        .scope_type = SCOPE_INSTRUMENT, .id1 = 1, .field = RISK_FIELD_depth_bp, .value = 10000};
    assert_int_equal(risk_limits_change(d.g.risk, &depth, 1), ERR_OK);
    assert_true(risk_depth_px(d.g.risk, &d.g.ins[1], &md, d.now, &up, &down));
    assert_int_equal(up, 104);  /* 101.5 * 1.03 = 104.545 */
    assert_int_equal(down, 99); /* 101.5 * 0.97 = 98.455 */
    md.bid_px = -103;
    md.ask_px = -100;
    assert_true(risk_depth_px(d.g.risk, &d.g.ins[1], &md, d.now, &up, &down));
    assert_int_equal(up, -99);
    assert_int_equal(down, -104);
    md.bid_px = INT64_MAX - 2;
    md.ask_px = INT64_MAX;
    assert_true(risk_depth_px(d.g.risk, &d.g.ins[1], &md, d.now, &up, &down));
    assert_int_equal(up, INT64_MAX);
    md.bid_px = -INT64_MAX;
    md.ask_px = -INT64_MAX + 2;
    assert_true(risk_depth_px(d.g.risk, &d.g.ins[1], &md, d.now, &up, &down));
    assert_int_equal(down, -INT64_MAX);
    md.has_bid = 0;
    assert_false(risk_depth_px(d.g.risk, &d.g.ins[1], &md, d.now, &up, &down));
    glue_close(&d.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_window_grows),
        cmocka_unit_test(test_value_window_grows_beyond_memory),
        cmocka_unit_test(test_change_with_a_stray_id),
        cmocka_unit_test(test_margin_changes_at_once),
        cmocka_unit_test(test_a_mark_of_zero),
        cmocka_unit_test(test_soft_credit),
        cmocka_unit_test(test_soft_funds),
        cmocka_unit_test(test_soft_turnover),
        cmocka_unit_test(test_soft_value_window),
        cmocka_unit_test(test_depth_prices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
