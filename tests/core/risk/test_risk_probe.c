/* Asking the gate. Checked here:
 *   - by hand: what is left of a quantity that is too large for each limit, and the score, figure by figure
 *   - over random worlds (seeded): not a byte of gate or order table changes; the risk_check that follows gives the same
 *     verdict in every field and the same price; the quantity is the one that a search from above finds with the check
 *     itself, each time on a fresh copy of the gate; the score is the one that lists searched from end to end give */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/types/ids.h"
#include "tests/lib/glue.h"
#include "tests/lib/seeded.h"

#define MS NS_PER_MS
#define MID 10000
#define RING 16    /* events in every window */
#define ENTRIES 14 /* values in the window of 273 */
#define ASKED_MAX 60

typedef struct passed {
    int64_t  t, value;
    uint32_t account, strategy;
} passed_t;

typedef struct fix {
    glue_t        g;
    now_t         now;
    uint64_t      seq;
    int64_t       book_ns[3];
    risk_limits_t account, strategy, venue, market, row, strategy_row;
    risk_out_t    out;
    passed_t      passed[64]; /* the newest, oldest first */
    uint32_t      passed_count;
    uint32_t      seen[300]; /* by code: how often it was the answer */
    uint32_t      cut;       /* answers with a smaller quantity */
    order_req_t   last;      /* that passed */
} fix_t;

static void limits_wide(fix_t *f)
{
    risk_limits_default(SCOPE_ACCOUNT, &f->account);
    risk_limits_default(SCOPE_STRATEGY, &f->strategy);
    risk_limits_default(SCOPE_VENUE, &f->venue);
    risk_limits_default(SCOPE_INSTRUMENT, &f->market);
    risk_limits_default(SCOPE_ACCOUNT_INSTRUMENT, &f->row);
    risk_limits_default(SCOPE_STRATEGY_INSTRUMENT, &f->strategy_row);
    f->account.rate_n = f->account.msg_n = f->account.cancel_n = RING;
    f->strategy.rate_n = f->strategy.msg_n = f->strategy.cancel_n = RING;
    f->venue.rate_n = f->venue.msg_n = f->venue.cancel_n = RING;
    f->strategy.otr_max                                  = INT64_MAX / 2;
    f->strategy.reject_n = f->strategy.rep_n = RING;
    f->strategy.reject_w_ns = f->strategy.rep_w_ns = 1;
    f->account.max_value = f->account.max_gross = f->account.max_net = INT64_MAX;
    f->account.max_open_value = f->account.value_w_max = INT64_MAX;
    f->account.max_day_loss = f->account.max_realised_loss = f->account.max_drawdown = INT64_MAX;
    f->account.concentration_bp                                                      = 10000;
    f->account.value_w_ns                                                            = NS_PER_S;
    f->market.max_qty = f->market.max_value = f->row.max_qty = INT64_MAX;
    f->row.max_long = f->row.max_short = f->strategy_row.max_long = f->strategy_row.max_short = INT64_MAX;
}

static void limits_apply(fix_t *f)
{
    risk_t *r = f->g.risk;
    for (uint32_t id = 1; id <= 2; id++) {
        assert_int_equal(risk_limits_set(r, SCOPE_ACCOUNT, id, 0, &f->account), ERR_OK);
        assert_int_equal(risk_limits_set(r, SCOPE_STRATEGY, id, 0, &f->strategy), ERR_OK);
        assert_int_equal(risk_limits_set(r, SCOPE_INSTRUMENT, id, 0, &f->market), ERR_OK);
        for (uint32_t ins = 1; ins <= 2; ins++) {
            assert_int_equal(risk_limits_set(r, SCOPE_ACCOUNT_INSTRUMENT, id, ins, &f->row), ERR_OK);
            assert_int_equal(risk_limits_set(r, SCOPE_STRATEGY_INSTRUMENT, id, ins, &f->strategy_row), ERR_OK);
        }
    }
    assert_int_equal(risk_limits_set(r, SCOPE_VENUE, GLUE_VENUE, 0, &f->venue), ERR_OK);
}

static void book(fix_t *f, uint32_t id)
{
    const risk_md_t md = {
        .bid_px = MID - 10, .ask_px = MID + 10, .has_bid = 1, .has_ask = 1, .book_mono_ns = f->now.mono_ns};
    f->book_ns[id] = f->now.mono_ns;
    glue_book(&f->g, id, &md, f->now);
}

/* Two accounts, strategies and instruments (the second in lots of 5, at least 10, worth 150,000), wide limits. */
static void fix_open(fix_t *f)
{
    risk_cfg_t cfg;
    memset(f, 0, sizeof *f);
    risk_cfg_default(&cfg);
    cfg.strategies_max   = 2;
    cfg.venues_max       = 1;
    cfg.window_max       = RING;
    cfg.value_window_max = ENTRIES;
    f->now               = (now_t){.mono_ns = 1000 * NS_PER_S, .utc_ns = 1700000000 * NS_PER_S};
    glue_open(&f->g, cfg, 64, 64);
    for (uint32_t id = 1; id <= 2; id++) {
        instrument_def_t def = glue_def(id);
        def.lot              = id == 1 ? 1 : 5;
        def.min_qty          = id == 1 ? 1 : 10;
        def.min_notional     = id == 1 ? 0 : 150000;
        glue_instrument(&f->g, &def, 1);
        glue_account(&f->g, id);
        assert_int_equal(risk_strategy_open(f->g.risk, id, 1, 1), ERR_OK);
        book(f, id);
    }
    glue_ready(&f->g);
    limits_wide(f);
    limits_apply(f);
}

static order_req_t request(fix_t *f, side_t side, int64_t qty, int64_t px)
{
    return (order_req_t){.action          = ORDER_ACTION_NEW,
                         .cl_ord_id       = cl_ord_id_make(1, 1, ++f->seq),
                         .tenant_id       = 1,
                         .account_id      = 1,
                         .strategy_id     = 1,
                         .instrument_id   = 1,
                         .px              = px,
                         .qty             = qty,
                         .created_mono_ns = f->now.mono_ns,
                         .side            = (uint8_t)side,
                         .ord_type        = ORD_TYPE_LIMIT,
                         .tif             = TIF_GTC};
}

static risk_in_t in_of(const fix_t *f, const order_req_t *q)
{
    const bool there = q->instrument_id >= 1 && q->instrument_id <= 2;
    return (risk_in_t){.req    = q,
                       .ins    = there ? &f->g.ins[q->instrument_id] : NULL,
                       .md     = there ? &f->g.md[q->instrument_id] : NULL,
                       .orders = f->g.orders,
                       .now    = f->now};
}

/* The question, and that it changed nothing. */
static risk_probe_t probe(const fix_t *f, const order_req_t *q)
{
    risk_probe_t    out;
    void           *before[2] = {malloc(f->g.bytes[0]), malloc(f->g.bytes[1])};
    const risk_in_t in        = in_of(f, q);
    memcpy(before[0], f->g.mem[0], f->g.bytes[0]);
    memcpy(before[1], f->g.mem[1], f->g.bytes[1]);
    memset(&out, 0xa5, sizeof out);
    risk_probe(f->g.risk, &in, &out);
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(before[i], f->g.mem[i], f->g.bytes[i]);
        free(before[i]);
    }
    return out;
}

static risk_probe_t probe_new(fix_t *f, side_t side, int64_t qty, int64_t px)
{
    const order_req_t q = request(f, side, qty, px);
    return probe(f, &q);
}

static void pass(fix_t *f, side_t side, int64_t qty, int64_t px)
{
    const order_req_t q = request(f, side, qty, px);
    assert_int_equal(glue_request(&f->g, &q, f->now, &f->out), RISK_ACCEPTED);
}

/* ---- by hand ----------------------------------------------------------------------------------------------------- */
#define CUTS(f, side, qty, px, want_code, want_qty)                                                                    \
    do {                                                                                                               \
        limits_apply(f);                                                                                               \
        const risk_probe_t p_ = probe_new(f, side, qty, px);                                                           \
        assert_int_equal(p_.verdict.code, want_code);                                                                  \
        assert_int_equal(p_.adjusted_qty, want_qty);                                                                   \
        assert_int_equal(p_.score, RISK_SCORE_MAX);                                                                    \
        limits_wide(f);                                                                                                \
    } while (0)

static void test_probe_leaves_what_each_limit_leaves(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.market.max_qty = 7;
    CUTS(&f, SIDE_BUY, 10, 9900, RISK_MAX_ORDER_QTY, 7);
    f.row.max_qty = 6;
    CUTS(&f, SIDE_BUY, 10, 9900, RISK_MAX_ORDER_QTY, 6);
    f.market.max_value = 49500;
    CUTS(&f, SIDE_BUY, 10, 9900, RISK_MAX_ORDER_VALUE, 5);
    f.account.max_value = 49499;
    CUTS(&f, SIDE_BUY, 10, 9900, RISK_MAX_ORDER_VALUE, 4);
    f.row.max_long = 9;
    CUTS(&f, SIDE_BUY, 10, 9900, RISK_MAX_LONG, 9);
    f.strategy_row.max_short = 3;
    CUTS(&f, SIDE_SELL, 10, 10100, RISK_MAX_SHORT, 3);
    f.account.max_gross = 85000;
    CUTS(&f, SIDE_SELL, 10, 10100, RISK_MAX_GROSS, 8);
    f.account.max_net = 79999;
    CUTS(&f, SIDE_BUY, 10, 9900, RISK_MAX_NET, 7);
    f.account.max_gross        = 1000000;
    f.account.concentration_bp = 250;
    CUTS(&f, SIDE_BUY, 10, 9900, RISK_CONCENTRATION, 2);
    f.account.max_open_value = 9900 * 4;
    CUTS(&f, SIDE_BUY, 10, 9900, RISK_MAX_OPEN_VALUE, 4);
    f.account.value_w_max = 9900 * 3;
    CUTS(&f, SIDE_BUY, 10, 9900, RISK_RATE_VALUE, 3);
    CUTS(&f, SIDE_BUY, INT64_MAX, 9900, RISK_ARITHMETIC_OVERFLOW, INT64_MAX / MID);
    f.market.max_qty = 0; /* nothing allowed: nothing would pass */
    CUTS(&f, SIDE_BUY, 10, 9900, RISK_MAX_ORDER_QTY, 0);
    f.row.max_open_orders = 0; /* not a matter of size */
    CUTS(&f, SIDE_BUY, 10, 9900, RISK_MAX_OPEN_ORDERS_INSTRUMENT, 0);
    f.account.rate_n = 0;
    CUTS(&f, SIDE_BUY, 10, 9900, RISK_RATE_ORDERS, 0);
    f.market.max_qty = 7; /* too large, but a smaller one is too far away as well */
    CUTS(&f, SIDE_BUY, 10, 10400, RISK_COLLAR_BUY, 0);
    glue_close(&f.g);
}

static void test_probe_cuts_to_the_lot_and_not_below_the_least(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    const struct {
        int64_t  asked, max_qty;
        uint16_t code;
        int64_t  left;
    } rows[] = {{23, INT64_MAX, RISK_QTY_NOT_ON_LOT, 20},
                {40, 29, RISK_MAX_ORDER_QTY, 25},
                {40, 15, RISK_MAX_ORDER_QTY, 0}, /* 15 is worth less than 150,000 at 9,900 */
                {3, INT64_MAX, RISK_QTY_NOT_ON_LOT, 0},
                {5, INT64_MAX, RISK_QTY_BELOW_MIN, 0},
                {15, INT64_MAX, RISK_NOTIONAL_BELOW_MIN, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        order_req_t q    = request(&f, SIDE_BUY, rows[i].asked, 9900);
        q.instrument_id  = 2;
        f.market.max_qty = rows[i].max_qty;
        limits_apply(&f);
        const risk_probe_t p = probe(&f, &q);
        assert_int_equal(p.verdict.code, rows[i].code);
        assert_int_equal(p.adjusted_qty, rows[i].left);
    }
    glue_close(&f.g);
}

static void test_probe_leaves_what_closes_a_position(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    glue_position(&f.g, 1, 1, 10, MID);
    glue_control(&f.g, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, 1);
    risk_probe_t p = probe_new(&f, SIDE_SELL, 15, 10100);
    assert_int_equal(p.verdict.code, RISK_REDUCE_ONLY);
    assert_int_equal(p.adjusted_qty, 10);
    glue_control(&f.g, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, 0);
    const risk_account_cfg_t no_short = {.tenant_id = 1,
                                         .ccy       = ccy_pack("USDT"),
                                         .may_trade = 1,
                                         .ord_types = 1U << ORD_TYPE_LIMIT,
                                         .venues    = 1U << GLUE_VENUE};
    assert_int_equal(risk_account_open(f.g.risk, 1, &no_short), ERR_OK);
    p = probe_new(&f, SIDE_SELL, 12, 10100);
    assert_int_equal(p.verdict.code, RISK_SHORT_NOT_PERMITTED);
    assert_int_equal(p.adjusted_qty, 10);
    f.account.max_day_loss = 100;
    limits_apply(&f);
    risk_loss_event_t event;
    risk_loss(f.g.risk, 1, &(risk_pnl_t){.day = -100}, f.now, &event);
    assert_int_equal(event.level, RISK_LOSS_STOP);
    p = probe_new(&f, SIDE_SELL, 10, 10100);
    assert_int_equal(p.verdict.code, RISK_ACCEPTED);
    p = probe_new(&f, SIDE_BUY, 10, 9900); /* towards more: nothing of it */
    assert_int_equal(p.verdict.code, RISK_DAY_LOSS);
    assert_int_equal(p.adjusted_qty, 0);
    glue_close(&f.g);
}

static void test_probe_steps_over_duplicates_but_does_not_cure_them(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    pass(&f, SIDE_BUY, 10, 9900);
    pass(&f, SIDE_BUY, 9, 9900);
    risk_probe_t p = probe_new(&f, SIDE_BUY, 10, 9900);
    assert_int_equal(p.verdict.code, RISK_DUPLICATE_ORDER);
    assert_int_equal(p.adjusted_qty, 0);
    f.market.max_qty = 10;
    limits_apply(&f);
    p = probe_new(&f, SIDE_BUY, 12, 9900);
    assert_int_equal(p.verdict.code, RISK_MAX_ORDER_QTY);
    assert_int_equal(p.adjusted_qty, 8);
    glue_close(&f.g);
}

static uint16_t score(fix_t *f, side_t side, int64_t qty, int64_t px)
{
    limits_apply(f);
    const risk_probe_t p = probe_new(f, side, qty, px);
    limits_wide(f);
    return p.score;
}

static void test_probe_scores_the_limit_that_is_used_most(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.account.max_open_orders = f.row.max_open_orders = 1000;
    /* one value of ENTRIES in its window is 714; each line is above it by one limit alone */
    assert_int_equal(score(&f, SIDE_BUY, 10, 9900), 10000 / ENTRIES);
    f.market.max_qty = 100;
    assert_int_equal(score(&f, SIDE_BUY, 25, 9900), 2500);
    f.market.max_qty = 10004;
    f.row.max_long   = 10000; /* 2500 and 2501 */
    assert_int_equal(score(&f, SIDE_BUY, 2501, 9900), 2501);
    f.row.max_qty = 30;
    assert_int_equal(score(&f, SIDE_BUY, 25, 9900), 8333); /* rounded down: 10000 is said of a limit used up */
    f.market.max_value = 990000;
    assert_int_equal(score(&f, SIDE_BUY, 10, 9900), 1000);
    f.account.max_value = 990000;
    assert_int_equal(score(&f, SIDE_BUY, 11, 9900), 1100);
    f.row.max_long = 100;
    assert_int_equal(score(&f, SIDE_BUY, 12, 9900), 1200);
    f.row.max_short = 100; /* the other side's limit is not this order's */
    assert_int_equal(score(&f, SIDE_BUY, 12, 9900), 10000 / ENTRIES);
    f.strategy_row.max_short = 100;
    assert_int_equal(score(&f, SIDE_SELL, 13, 10100), 1300);
    f.account.max_gross = 1000000;
    assert_int_equal(score(&f, SIDE_SELL, 14, 10100), 1400);
    f.account.max_net = 1000000;
    assert_int_equal(score(&f, SIDE_BUY, 15, 9900), 1500);
    f.account.max_gross        = 10000000;
    f.account.concentration_bp = 2500;
    assert_int_equal(score(&f, SIDE_BUY, 50, 9900), 2000);
    f.account.max_open_value = 990000;
    assert_int_equal(score(&f, SIDE_BUY, 16, 9900), 1600);
    f.account.value_w_max = 990000;
    assert_int_equal(score(&f, SIDE_BUY, 17, 9900), 1700);
    f.row.max_open_orders = 4;
    assert_int_equal(score(&f, SIDE_BUY, 1, 9900), 2500);
    f.account.max_open_orders = 5;
    assert_int_equal(score(&f, SIDE_BUY, 1, 9900), 2000);
    f.strategy.msg_n = 3;
    assert_int_equal(score(&f, SIDE_BUY, 1, 9900), 3333);
    f.venue.rate_n = 1;
    assert_int_equal(score(&f, SIDE_BUY, 1, 9900), 10000); /* passes, and is the last one that does */
    f.account.max_gross = 0;                               /* a limit of 0 that is used */
    assert_int_equal(score(&f, SIDE_BUY, 1, 9900), 10000);
    glue_position(&f.g, 1, 1, 50, MID);
    f.account.max_gross = 400000; /* over it already: an order towards flat is not stopped, and not scored, by it */
    assert_int_equal(score(&f, SIDE_SELL, 50, 10100), 10000 / ENTRIES);
    f.account.max_gross = 400000;
    assert_int_equal(score(&f, SIDE_BUY, 1, 9900), 10000);
    glue_close(&f.g);
}

/* 229 to 231 and the tenant's positions, which only some desks have. */
static void test_probe_scores_capital(void **state)
{
    (void)state;
    fix_t              f;
    risk_limits_t      tenant, firm, pair;
    risk_account_cfg_t rights = {.tenant_id = 1,
                                 .ccy       = ccy_pack("USDT"),
                                 .may_trade = 1,
                                 .may_short = 1,
                                 .ord_types = 1U << ORD_TYPE_LIMIT,
                                 .venues    = 1U << GLUE_VENUE};
    fix_open(&f);
    f.account.max_open_orders = f.row.max_open_orders = 1000;
    risk_limits_default(SCOPE_TENANT, &tenant);
    risk_limits_default(SCOPE_GLOBAL, &firm);
    risk_limits_default(SCOPE_TENANT_INSTRUMENT, &pair);
    f.account.max_credit = 1000000; /* the margin is all of the value: 10,000 a contract */
    assert_int_equal(score(&f, SIDE_BUY, 10, 9900), 1000);
    tenant.max_credit = 800000;
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_TENANT, 1, 0, &tenant), ERR_OK);
    f.account.max_credit = 1000000;
    assert_int_equal(score(&f, SIDE_BUY, 10, 9900), 1250);
    firm.max_credit = 500000;
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_GLOBAL, 0, 0, &firm), ERR_OK);
    assert_int_equal(score(&f, SIDE_BUY, 10, 9900), 2000);
    rights.funds = RISK_FUNDS_MARGIN;
    assert_int_equal(risk_account_open(f.g.risk, 1, &rights), ERR_OK);
    risk_equity(f.g.risk, 1, 400000, 0);
    assert_int_equal(score(&f, SIDE_BUY, 10, 9900), 2500);
    f.account.max_turnover = 330000;
    assert_int_equal(score(&f, SIDE_BUY, 10, 9900), 3000); /* its own price counts here: 99,000 */
    pair.max_long  = 25;
    pair.max_short = 20;
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_TENANT_INSTRUMENT, 1, 1, &pair), ERR_OK);
    assert_int_equal(score(&f, SIDE_BUY, 10, 9900), 4000);
    assert_int_equal(score(&f, SIDE_SELL, 10, 10100), 5000);
    glue_position(&f.g, 1, 1, 20, MID); /* what lowers it uses no credit and no margin, however little there is left */
    firm.max_credit = tenant.max_credit = 1;
    pair.max_long = pair.max_short = INT64_MAX;
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_TENANT, 1, 0, &tenant), ERR_OK);
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_GLOBAL, 0, 0, &firm), ERR_OK);
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_TENANT_INSTRUMENT, 1, 1, &pair), ERR_OK);
    risk_equity(f.g.risk, 1, 1, 0);
    f.account.max_credit = 1;
    assert_int_equal(score(&f, SIDE_SELL, 10, 10100), 10000 / ENTRIES);
    f.account.max_credit = 1;
    assert_int_equal(score(&f, SIDE_BUY, 1, 9900), RISK_SCORE_MAX);
    glue_close(&f.g);
}

/* Bought for cash: paid from what is there; a sale uses none of it. */
static void test_probe_scores_cash(void **state)
{
    (void)state;
    fix_t                    f;
    const risk_account_cfg_t rights = {.tenant_id = 1,
                                       .ccy       = ccy_pack("USDT"),
                                       .may_trade = 1,
                                       .may_short = 1,
                                       .funds     = RISK_FUNDS_CASH,
                                       .ord_types = 1U << ORD_TYPE_LIMIT,
                                       .venues    = 1U << GLUE_VENUE};
    fix_open(&f);
    f.account.max_open_orders = f.row.max_open_orders = 1000;
    assert_int_equal(risk_account_open(f.g.risk, 1, &rights), ERR_OK);
    risk_equity(f.g.risk, 1, 0, 396000);
    assert_int_equal(score(&f, SIDE_BUY, 10, 9900), 10000 / ENTRIES); /* no spot */
    glue_close(&f.g);
    fix_open(&f);
    f.account.max_open_orders = f.row.max_open_orders = 1000;
    instrument_def_t spot                             = glue_def(1);
    spot.kind                                         = INSTRUMENT_SPOT;
    glue_instrument(&f.g, &spot, 1);
    assert_int_equal(risk_account_open(f.g.risk, 1, &rights), ERR_OK);
    risk_equity(f.g.risk, 1, 0, 396000);
    assert_int_equal(score(&f, SIDE_BUY, 10, 9900), 2500);
    assert_int_equal(score(&f, SIDE_SELL, 10, 10100), 10000 / ENTRIES);
    glue_close(&f.g);
}

static void test_probe_steps_down_to_nothing(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    pass(&f, SIDE_BUY, 1, 9900);
    f.market.max_qty = 1; /* one would be right, but one has just been sent */
    limits_apply(&f);
    const risk_probe_t p = probe_new(&f, SIDE_BUY, 5, 9900);
    assert_int_equal(p.verdict.code, RISK_MAX_ORDER_QTY);
    assert_int_equal(p.adjusted_qty, 0);
    glue_close(&f.g);
}

/* A value that does not fit is a limit used up. */
static void test_probe_scores_what_does_not_fit(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    glue_position(&f.g, 1, 1, INT64_MAX / 2 / MID, MID);
    f.row.max_open_orders = 1000;
    limits_apply(&f);
    pass(&f, SIDE_BUY, INT64_MAX / 4 / MID, 9900);
    const risk_probe_t p = probe_new(&f, SIDE_BUY, INT64_MAX / 3 / MID, 9900);
    assert_int_equal(p.verdict.code, RISK_ARITHMETIC_OVERFLOW);
    assert_int_equal(p.score, RISK_SCORE_MAX);
    glue_close(&f.g);
}

static void test_probe_scores_full_what_cannot_be_valued(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    order_req_t  q = request(&f, SIDE_BUY, 10, 0);
    risk_probe_t p;
    q.ord_type = ORD_TYPE_MARKET;
    q.tif      = TIF_IOC;
    p          = probe(&f, &q);
    assert_int_equal(p.verdict.code, RISK_ACCEPTED);
    assert_int_equal(p.px, 10300); /* 3 % above the middle */
    assert_int_equal(p.score, 10000 / ENTRIES);
    glue_control(&f.g, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 0); /* denied, and valued all the same */
    p = probe(&f, &q);
    assert_int_equal(p.verdict.code, RISK_JOURNAL_DOWN);
    assert_int_equal(p.px, 10300);
    assert_int_equal(p.score, 10000 / ENTRIES);
    assert_int_equal(p.adjusted_qty, 0);
    f.now.mono_ns += NS_PER_S; /* stale */
    p = probe(&f, &q);
    assert_int_equal(p.px, 0);
    assert_int_equal(p.score, RISK_SCORE_MAX);
    p = probe_new(&f, SIDE_BUY, 10, 9900);
    assert_int_equal(p.px, 9900);
    assert_int_equal(p.score, RISK_SCORE_MAX);
    f.g.md[1].has_last     = 1; /* a reference, but none that a market order is sent at */
    f.g.md[1].last_px      = MID;
    f.g.md[1].last_mono_ns = f.now.mono_ns;
    p                      = probe(&f, &q);
    assert_int_equal(p.px, 0);
    assert_int_equal(p.score, RISK_SCORE_MAX);
    q.instrument_id = 9;
    p               = probe(&f, &q);
    assert_int_equal(p.verdict.code, RISK_UNKNOWN_INSTRUMENT);
    assert_int_equal(p.px, 0);
    assert_int_equal(p.score, RISK_SCORE_MAX);
    glue_close(&f.g);
}

/* ---- random worlds ----------------------------------------------------------------------------------------------- */
static uint64_t rnd_state;

static uint64_t rnd(uint64_t n)
{
    return seeded_next(&rnd_state) % n;
}

static int64_t some(int64_t most) /* a limit: mostly wide, else up to most, now and then nothing */
{
    return rnd(3) ? INT64_MAX : rnd(12) ? 1 + (int64_t)rnd((uint64_t)most) : 0;
}

static void random_limits(fix_t *f)
{
    limits_wide(f);
    f->market.max_qty           = some(60);
    f->row.max_qty              = some(60);
    f->market.max_value         = some(600000);
    f->account.max_value        = some(600000);
    f->row.max_long             = some(120);
    f->row.max_short            = some(120);
    f->strategy_row.max_long    = some(120);
    f->strategy_row.max_short   = some(120);
    f->account.max_gross        = some(2000000);
    f->account.max_net          = some(2000000);
    f->account.concentration_bp = rnd(4) ? 10000 : 100 + (int64_t)rnd(5000);
    f->account.max_open_value   = some(2000000);
    f->account.value_w_max      = some(2000000);
    f->account.max_open_orders  = rnd(4) ? 500 : (int64_t)rnd(20);
    f->row.max_open_orders      = rnd(4) ? 500 : (int64_t)rnd(10);
    f->strategy.rate_n          = rnd(4) ? RING : 1 + (int64_t)rnd(8);
    f->account.msg_n            = rnd(4) ? RING : 1 + (int64_t)rnd(8);
    limits_apply(f);
}

/* Everything but requests. */
static void random_event(fix_t *f)
{
    const uint32_t account = 1 + (uint32_t)rnd(2);
    switch (rnd(12)) {
    case 0: random_limits(f); break;
    case 1: glue_control(&f->g, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, account, rnd(4) == 0); break;
    case 2: glue_control(&f->g, CONTROL_KILL, SCOPE_STRATEGY, 1 + (uint32_t)rnd(2), rnd(8) == 0); break;
    case 3: {
        const risk_account_cfg_t cfg = {.tenant_id = 1,
                                        .ccy       = ccy_pack("USDT"),
                                        .may_trade = 1,
                                        .may_short = rnd(4) != 0,
                                        .ord_types = 1U << ORD_TYPE_LIMIT | 1U << ORD_TYPE_MARKET,
                                        .venues    = 1U << GLUE_VENUE};
        assert_int_equal(risk_account_open(f->g.risk, account, &cfg), ERR_OK);
        break;
    }
    case 4: break; /* the books grow old */
    default: {
        const uint32_t row = order_first(f->g.orders);
        if (row != ORDER_NONE && rnd(3) == 0) {
            const order_t      *o      = order_at(f->g.orders, row);
            const exec_report_t report = {.cl_ord_id     = o->cl_ord_id,
                                          .exec_id_lo    = ++f->seq,
                                          .account_id    = o->account_id,
                                          .strategy_id   = o->strategy_id,
                                          .instrument_id = o->instrument_id,
                                          .side          = o->side,
                                          .exec_type     = rnd(3) ? EXEC_TYPE_CANCELED : EXEC_TYPE_TRADE,
                                          .last_qty      = order_leaves(o),
                                          .last_px       = MID,
                                          .cum_qty       = -1};
            order_effect_t      effect;
            glue_report(&f->g, &report, f->now, &effect);
        }
        book(f, 1);
        book(f, 2);
    }
    }
}

static order_req_t random_request(fix_t *f)
{
    order_req_t q   = request(f, rnd(2) ? SIDE_BUY : SIDE_SELL, 1 + (int64_t)rnd(ASKED_MAX), 0);
    q.px            = q.side == SIDE_BUY ? 9700 + (int64_t)rnd(300) : 10000 + (int64_t)rnd(300);
    q.px            = rnd(8) ? q.px : rnd(4) ? MID - 5 + (int64_t)rnd(10) : (int64_t)rnd(12000);
    q.instrument_id = rnd(64) ? 1 + (uint32_t)rnd(2) : (uint32_t)rnd(4);
    q.qty           = q.instrument_id == 2 && rnd(3) ? (q.qty + 4) / 5 * 5 : q.qty;
    q.account_id    = rnd(64) ? 1 + (uint32_t)rnd(2) : (uint32_t)rnd(4);
    q.strategy_id   = (uint32_t)rnd(3);
    if (rnd(16) == 0) {
        q.ord_type = ORD_TYPE_MARKET;
        q.tif      = TIF_IOC;
        q.px       = 0;
    }
    if (rnd(12) == 0 && f->last.cl_ord_id) { /* once more, or one that would be once more if it were smaller */
        const order_req_t made = q;
        q                      = f->last;
        q.qty += (int64_t)rnd(3);
        q.cl_ord_id       = made.cl_ord_id;
        q.created_mono_ns = made.created_mono_ns;
    }
    q.cl_ord_id = rnd(64) ? q.cl_ord_id : cl_ord_id_make(1, 1, 1 + rnd(f->seq));
    q.created_mono_ns -= rnd(64) ? 0 : 3 * NS_PER_S;
    return q;
}

static bool size_matters(uint16_t code) /* as risk.h lists them */
{
    static const uint16_t codes[] = {107, 111, 126, 150, 201, 202, 221, 222, 223, 224, 225, 228, 251, 252, 253, 273};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

/* The largest quantity that the check itself lets pass, each on a copy of the gate. */
static int64_t searched_qty(const fix_t *f, order_req_t q, uint16_t code)
{
    if (code != RISK_ACCEPTED && !size_matters(code)) {
        return 0;
    }
    void   *copy  = aligned_alloc(risk_align(), (f->g.bytes[1] + 63) / 64 * 64);
    int64_t found = 0;
    for (; q.qty > 0 && found == 0; q.qty--) {
        const risk_in_t in = in_of(f, &q);
        risk_out_t      out;
        memcpy(copy, f->g.mem[1], f->g.bytes[1]);
        risk_check(risk_join(copy), &in, &out);
        found = out.verdict.code == RISK_ACCEPTED ? q.qty : 0;
    }
    free(copy);
    return found;
}

static int64_t use(i128_t used, i128_t limit)
{
    return used <= 0 ? 0 : used >= limit ? 10000 : (int64_t)(used * 10000 / limit);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t counted_rates(const fix_t *f, const order_req_t *q)
{
    int64_t strategy = 0, account = 0, venue = 0, entries = 0;
    i128_t  sum = 0;
    for (uint32_t i = 0; i < f->passed_count; i++) {
        const passed_t *p = &f->passed[i];
        if (f->now.mono_ns - p->t < NS_PER_S) { /* every window here is a second */
            strategy += p->strategy == q->strategy_id;
            account += p->account == q->account_id;
            venue++;
            entries += p->account == q->account_id;
            sum += p->account == q->account_id ? p->value : 0;
        }
    }
    int64_t most =
        q->strategy_id ? larger(use(strategy + 1, f->strategy.rate_n), use(strategy + 1, f->strategy.msg_n)) : 0;
    most                = larger(most, larger(use(account + 1, f->account.rate_n), use(account + 1, f->account.msg_n)));
    most                = larger(most, larger(use(venue + 1, f->venue.rate_n), use(venue + 1, f->venue.msg_n)));
    most                = larger(most, use(entries + 1, ENTRIES));
    const int64_t value = q->qty * (q->side == SIDE_SELL ? larger(q->px, MID) : q->px);
    return larger(most, use(sum + value, f->account.value_w_max));
}

/* From exposures and limits; -1 = this oracle does not know (a market order's price). */
static int64_t counted_score(const fix_t *f, const order_req_t *q, uint16_t code)
{
    if ((code >= 101 && code <= 113) || f->now.mono_ns - f->book_ns[q->instrument_id] > f->market.max_md_age_ns) {
        return 10000;
    }
    if (q->ord_type == ORD_TYPE_MARKET) {
        return -1;
    }
    const bool           buy = q->side == SIDE_BUY;
    risk_exposure_t      x, s = {0};
    risk_account_state_t a;
    assert_true(risk_exposure(f->g.risk, q->account_id, q->instrument_id, &x));
    assert_true(risk_account_state(f->g.risk, q->account_id, &a));
    risk_strategy_exposure(f->g.risk, q->strategy_id, q->instrument_id, &s);
    const int64_t l = x.worst_long + (buy ? q->qty : 0), k = x.worst_short + (buy ? 0 : q->qty);
    const int64_t was = larger(llabs(x.worst_long), llabs(x.worst_short)), is = larger(llabs(l), llabs(k));
    const int64_t value = q->qty * (buy ? q->px : larger(q->px, MID));
    int64_t       most  = counted_rates(f, q);
    most                = larger(most, larger(use(q->qty, f->market.max_qty), use(q->qty, f->row.max_qty)));
    most                = larger(most, larger(use(value, f->market.max_value), use(value, f->account.max_value)));
    most                = larger(most, buy ? use(l, f->row.max_long) : use(k, f->row.max_short));
    if (q->strategy_id) {
        most = larger(most, buy ? use((i128_t)s.worst_long + q->qty, f->strategy_row.max_long)
                                : use((i128_t)s.worst_short + q->qty, f->strategy_row.max_short));
    }
    if (is > was) {
        most = larger(most, use(a.gross + (i128_t)(is - was) * MID, f->account.max_gross));
        most = larger(most, use((i128_t)is * MID * 10000, (i128_t)f->account.max_gross * f->account.concentration_bp));
    }
    most = larger(most, use((buy ? a.net_long : a.net_short) + (i128_t)q->qty * MID, f->account.max_net));
    most = larger(most, use(x.open_orders + 1, f->row.max_open_orders));
    most = larger(most, use(a.open_orders + 1, f->account.max_open_orders));
    return larger(most, use(a.open_value + value, f->account.max_open_value));
}

static void remember(fix_t *f, const order_req_t *q)
{
    if (f->passed_count == sizeof f->passed / sizeof f->passed[0]) {
        memmove(f->passed, f->passed + 1, sizeof f->passed - sizeof f->passed[0]);
        f->passed_count--;
    }
    const int64_t px             = q->side == SIDE_SELL ? larger(f->out.px, MID) : f->out.px;
    f->passed[f->passed_count++] = (passed_t){f->now.mono_ns, q->qty * px, q->account_id, q->strategy_id};
}

static void test_probe_is_what_the_check_will_say(void **state)
{
    (void)state;
    static fix_t   f;
    const uint64_t steps = seeded_rounds(getenv("HWAL_QUICK") ? 3000 : 20000, 1000000);
    rnd_state            = seeded_seed("test_risk_probe");
    fix_open(&f);
    for (uint64_t i = 0; i < steps; i++) {
        f.now.mono_ns += (int64_t)rnd(rnd(16) ? 80 : 900) * MS;
        random_event(&f);
        const order_req_t  q    = random_request(&f);
        const risk_probe_t p    = probe(&f, &q);
        const uint16_t     code = p.verdict.code;
        assert_int_equal(p.adjusted_qty, searched_qty(&f, q, code));
        const int64_t want = counted_score(&f, &q, code);
        if (want >= 0) {
            assert_int_equal(p.score, want);
        }
        glue_request(&f.g, &q, f.now, &f.out);
        assert_memory_equal(&p.verdict, &f.out.verdict, sizeof p.verdict);
        f.seen[code]++;
        f.cut += code != RISK_ACCEPTED && p.adjusted_qty > 0;
        if (code == RISK_ACCEPTED) {
            assert_int_equal(p.px, f.out.px);
            remember(&f, &q);
            f.last = q;
        }
    }
    static const uint16_t must[] = {0,   102, 103, 107, 109, 110, 113, 114, 126, 144, 150, 162, 181, 182, 183,
                                    201, 202, 221, 222, 223, 224, 225, 226, 227, 228, 271, 272, 273, 277, 291};
    for (size_t i = 0; i < sizeof must / sizeof must[0]; i++) {
        if (f.seen[must[i]] == 0) {
            fail_msg("code %u was never the answer: the worlds are too tame", must[i]);
        }
    }
    printf("%u passed, %u cut\n", f.seen[0], f.cut);
    assert_true(f.cut > steps / 20);
    glue_close(&f.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe_leaves_what_each_limit_leaves),
        cmocka_unit_test(test_probe_cuts_to_the_lot_and_not_below_the_least),
        cmocka_unit_test(test_probe_leaves_what_closes_a_position),
        cmocka_unit_test(test_probe_steps_over_duplicates_but_does_not_cure_them),
        cmocka_unit_test(test_probe_scores_the_limit_that_is_used_most),
        cmocka_unit_test(test_probe_scores_capital),
        cmocka_unit_test(test_probe_scores_cash),
        cmocka_unit_test(test_probe_steps_down_to_nothing),
        cmocka_unit_test(test_probe_scores_what_does_not_fit),
        cmocka_unit_test(test_probe_scores_full_what_cannot_be_valued),
        cmocka_unit_test(test_probe_is_what_the_check_will_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
