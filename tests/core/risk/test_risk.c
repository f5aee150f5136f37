/* The gate. Checked here:
 *   - every code that the chain can give: on its bound passes, one beyond is denied, with scope, observed and limit
 *   - the order of the stages; cancels pass whatever is wrong
 *   - windows, duplicates and self-trade prevention against lists that are searched from end to end
 *   - random histories: exposure = sums over the order table, position = sum of fills, L and K within limits, accepted
 * + rejected = received, denied requests change no exposure, a memcpy of the arena goes on identically
 *   - refusals of set-up, and that a refused limit set leaves the old one in force */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/types/ids.h"
#include "tests/lib/glue.h"

typedef struct fix {
    glue_t        g;
    now_t         now;
    uint64_t      seq;
    risk_limits_t account, strategy, venue, market, row, strategy_row;
    risk_out_t    out;
} fix_t;

static void limits_wide(fix_t *f)
{
    risk_limits_default(SCOPE_ACCOUNT, &f->account);
    risk_limits_default(SCOPE_STRATEGY, &f->strategy);
    risk_limits_default(SCOPE_VENUE, &f->venue);
    risk_limits_default(SCOPE_INSTRUMENT, &f->market);
    risk_limits_default(SCOPE_ACCOUNT_INSTRUMENT, &f->row);
    risk_limits_default(SCOPE_STRATEGY_INSTRUMENT, &f->strategy_row);
    f->account.max_value = f->account.max_gross = f->account.max_net = INT64_MAX;
    f->account.max_open_value = f->account.value_w_max = INT64_MAX;
    f->account.max_day_loss = f->account.max_realised_loss = f->account.max_drawdown = INT64_MAX;
    f->account.concentration_bp                                                      = 10000;
    f->account.dup_n                                                                 = 1024;
    f->strategy.otr_max                                                              = INT64_MAX / 2;
    f->strategy.reject_n = f->strategy.rep_n = 1024;
    f->strategy.reject_w_ns                  = 1;
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

static void book(fix_t *f, uint32_t id, int64_t bid, int64_t ask)
{
    const risk_md_t md = {
        .bid_px = bid, .ask_px = ask, .has_bid = bid != 0, .has_ask = ask != 0, .book_mono_ns = f->now.mono_ns};
    glue_book(&f->g, id, &md, f->now);
}

/* Two accounts of one tenant, two strategies, two instruments at 9990/10010, wide limits, everything open. */
static void fix_open_def(fix_t *f, risk_cfg_t cfg, uint32_t orders_max, const instrument_def_t *def, int64_t tick)
{
    memset(f, 0, sizeof *f);
    f->now          = (now_t){.mono_ns = 1000 * NS_PER_S, .utc_ns = 1700000000 * NS_PER_S};
    cfg.tenants_max = 2;
    glue_open(&f->g, cfg, orders_max, 256);
    for (uint32_t id = 1; id <= 2; id++) {
        instrument_def_t d = *def;
        d.instrument_id    = id;
        glue_instrument(&f->g, &d, tick);
        glue_account(&f->g, id);
        assert_int_equal(risk_strategy_open(f->g.risk, id, 1, 1), ERR_OK);
        book(f, id, 9990, 10010);
    }
    glue_ready(&f->g);
    limits_wide(f);
    limits_apply(f);
}

static void fix_open(fix_t *f)
{
    const instrument_def_t def = glue_def(1);
    risk_cfg_t             cfg;
    risk_cfg_default(&cfg);
    fix_open_def(f, cfg, 256, &def, 1);
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

static uint16_t ask(fix_t *f, const order_req_t *req)
{
    return glue_request(&f->g, req, f->now, &f->out);
}

static uint16_t ask_new(fix_t *f, side_t side, int64_t qty, int64_t px)
{
    const order_req_t req = request(f, side, qty, px);
    return ask(f, &req);
}

static uint16_t ask_buy(fix_t *f, int64_t qty)
{
    return ask_new(f, SIDE_BUY, qty, 9900);
}

/* The id of the last request. */
static uint64_t last_id(const fix_t *f)
{
    return cl_ord_id_make(1, 1, f->seq);
}

static uint16_t ask_change(fix_t *f, order_action_t action, uint64_t orig, side_t side, int64_t qty, int64_t px)
{
    order_req_t req    = request(f, side, qty, px);
    req.action         = (uint8_t)action;
    req.orig_cl_ord_id = orig;
    return ask(f, &req);
}

static void report(fix_t *f, uint64_t id, exec_type_t type, side_t side, int64_t qty, int64_t px)
{
    static uint64_t     exec;
    order_effect_t      effect;
    const exec_report_t rep = {.cl_ord_id     = id,
                               .exec_id_lo    = ++exec,
                               .account_id    = 1,
                               .instrument_id = 1,
                               .exec_type     = (uint8_t)type,
                               .side          = (uint8_t)side,
                               .last_qty      = qty,
                               .last_px       = px,
                               .cum_qty       = -1};
    glue_report(&f->g, &rep, f->now, &effect);
}

static void assert_scope(const fix_t *f, scope_t type, uint32_t id, int64_t observed, int64_t limit)
{
    assert_int_equal(f->out.verdict.scope_type, type);
    assert_int_equal(f->out.verdict.scope_id, id);
    assert_int_equal(f->out.verdict.observed, observed);
    assert_int_equal(f->out.verdict.limit, limit);
}

/* A buy of 10 at 9900 after `change` of it, q, gives this code. */
#define GIVES(fix, want, q, change)                                                                                    \
    do {                                                                                                               \
        order_req_t q = request(fix, SIDE_BUY, 10, 9900);                                                              \
        change;                                                                                                        \
        assert_int_equal(ask(fix, &(q)), want);                                                                        \
        assert_int_equal((fix)->out.verdict.code, want);                                                               \
        assert_int_equal((fix)->out.verdict.cl_ord_id, (q).cl_ord_id);                                                 \
    } while (0)

/* ---- A ----------------------------------------------------------------------------------------------------------- */

static void test_risk_validity_names(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    GIVES(&f, RISK_ACCEPTED, q, (void)q);
    GIVES(&f, RISK_BAD_MESSAGE, q, q.action = 0);
    GIVES(&f, RISK_BAD_MESSAGE, q, q.action = 4);
    GIVES(&f, RISK_BAD_MESSAGE, q, q.exec_inst = 4);
    GIVES(&f, RISK_BAD_MESSAGE, q, q.position_effect = 3);
    GIVES(&f, RISK_BAD_SIDE_TYPE_OR_TIF, q, q.side = 0);
    GIVES(&f, RISK_BAD_SIDE_TYPE_OR_TIF, q, q.side = 3);
    GIVES(&f, RISK_BAD_SIDE_TYPE_OR_TIF, q, q.ord_type = 3);
    GIVES(&f, RISK_BAD_SIDE_TYPE_OR_TIF, q, q.tif = 6);
    GIVES(&f, RISK_BAD_SIDE_TYPE_OR_TIF, q, (q.exec_inst = EXEC_INST_POST_ONLY, q.tif = TIF_IOC));
    GIVES(&f, RISK_ACCEPTED, q, q.exec_inst = EXEC_INST_POST_ONLY);
    GIVES(&f, RISK_BAD_CLIENT_ORDER_ID, q, q.cl_ord_id = 0);
    GIVES(&f, RISK_BAD_CLIENT_ORDER_ID, q, q.cl_ord_id = cl_ord_id_make(1, 1, 0));
    GIVES(&f, RISK_UNKNOWN_INSTRUMENT, q, q.instrument_id = 0);
    GIVES(&f, RISK_UNKNOWN_INSTRUMENT, q, q.instrument_id = 3);
    GIVES(&f, RISK_UNKNOWN_INSTRUMENT, q, q.instrument_id = GLUE_INSTRUMENTS + 1);
    GIVES(&f, RISK_UNKNOWN_ACCOUNT, q, q.account_id = 0);
    GIVES(&f, RISK_UNKNOWN_ACCOUNT, q, q.account_id = 3);
    GIVES(&f, RISK_UNKNOWN_ACCOUNT, q, q.account_id = 4);
    GIVES(&f, RISK_WRONG_TENANT, q, q.tenant_id = 2);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 2, 1);
    GIVES(&f, RISK_ACCEPTED, q, q.strategy_id = 0);
    assert_int_equal(risk_strategy_open(f.g.risk, 3, 2, 1), ERR_OK);
    GIVES(&f, RISK_WRONG_TENANT, q, q.strategy_id = 3);
    glue_close(&f.g);
}

static void test_risk_validity_figures(void **state)
{
    (void)state;
    fix_t            f;
    risk_cfg_t       cfg;
    instrument_def_t def = glue_def(1);
    def.lot              = 5;
    def.min_qty          = 10;
    def.min_notional     = 150000;
    risk_cfg_default(&cfg);
    fix_open_def(&f, cfg, 256, &def, 10);
    GIVES(&f, RISK_QTY_NOT_POSITIVE, q, q.qty = 0);
    GIVES(&f, RISK_QTY_NOT_POSITIVE, q, q.qty = -5);
    GIVES(&f, RISK_QTY_NOT_ON_LOT, q, q.qty = 21);
    GIVES(&f, RISK_QTY_BELOW_MIN, q, q.qty = 5);
    GIVES(&f, RISK_PRICE_NOT_POSITIVE, q, (q.px = 0, q.qty = 20));
    GIVES(&f, RISK_PRICE_NOT_ON_TICK, q, (q.px = 9905, q.qty = 20));
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 9905, 10);
    GIVES(&f, RISK_ARITHMETIC_OVERFLOW, q, (q.px = INT64_MAX / 10 * 10, q.qty = 20));
    GIVES(&f, RISK_NOTIONAL_BELOW_MIN, q, (q.px = 9990, q.qty = 15));
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 149850, 150000);
    GIVES(&f, RISK_ACCEPTED, q, (q.px = 10000, q.qty = 15));
    /* a sell below the reference price: the smallest value is tested at its limit, not at the reference */
    GIVES(&f, RISK_NOTIONAL_BELOW_MIN, q, (q.px = 9990, q.qty = 15, q.side = SIDE_SELL));
    GIVES(&f, RISK_REQUEST_TOO_OLD, q, (q.qty = 20, q.created_mono_ns = f.now.mono_ns - 2 * NS_PER_S - 1));
    GIVES(&f, RISK_ACCEPTED, q, (q.qty = 20, q.created_mono_ns = f.now.mono_ns - 2 * NS_PER_S));
    GIVES(&f, RISK_ACCEPTED, q, (q.qty = 20, q.created_mono_ns = f.now.mono_ns + NS_PER_S));
    GIVES(&f, RISK_REQUEST_TOO_OLD, q, (q.qty = 20, q.created_mono_ns = f.now.mono_ns + NS_PER_S + 1));
    glue_position(&f.g, 2, 1, INT64_MAX - 20, 1); /* L would leave 63 bits */
    GIVES(&f, RISK_ARITHMETIC_OVERFLOW, q, (q.qty = 25, q.account_id = 2));
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 25, INT64_MAX);
    glue_close(&f.g);
}

static void test_risk_ids_are_seen_once_for_ever(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    GIVES(&f, RISK_ACCEPTED, q, q.cl_ord_id = cl_ord_id_make(1, 7, 5));
    GIVES(&f, RISK_DUPLICATE_CLIENT_ORDER_ID, q, q.cl_ord_id = cl_ord_id_make(1, 7, 5));
    GIVES(&f, RISK_DUPLICATE_CLIENT_ORDER_ID, q, q.cl_ord_id = cl_ord_id_make(1, 7, 4));
    GIVES(&f, RISK_QTY_NOT_POSITIVE, q, (q.qty = 0, q.cl_ord_id = cl_ord_id_make(1, 7, 6)));
    GIVES(&f, RISK_DUPLICATE_CLIENT_ORDER_ID, q, q.cl_ord_id = cl_ord_id_make(1, 7, 6));
    GIVES(&f, RISK_ACCEPTED, q, q.cl_ord_id = cl_ord_id_make(1, 8, 5));
    GIVES(&f, RISK_ACCEPTED, q, q.cl_ord_id = cl_ord_id_make(2, 7, 1));
    GIVES(&f, RISK_DUPLICATE_CLIENT_ORDER_ID, q, q.cl_ord_id = cl_ord_id_make(1, 7, 7));
    glue_close(&f.g);
}

static void test_risk_targets(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    assert_int_equal(ask_buy(&f, 100), 0);
    const uint64_t id = last_id(&f);
    assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, 12345, SIDE_BUY, 100, 9900), RISK_UNKNOWN_ORDER);
    assert_int_equal(ask_change(&f, ORDER_ACTION_CANCEL, 12345, SIDE_BUY, 0, 0), RISK_UNKNOWN_ORDER);
    assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, id, SIDE_SELL, 100, 9900), RISK_UNKNOWN_ORDER);
    GIVES(&f, RISK_UNKNOWN_ORDER, q, (q.action = ORDER_ACTION_CANCEL, q.orig_cl_ord_id = id, q.account_id = 2));
    GIVES(&f, RISK_UNKNOWN_ORDER, q, (q.action = ORDER_ACTION_CANCEL, q.orig_cl_ord_id = id, q.instrument_id = 2));
    report(&f, id, EXEC_TYPE_TRADE, SIDE_BUY, 40, 9900);
    assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, id, SIDE_BUY, 39, 9900), RISK_AMEND_BELOW_FILLED);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 39, 40);
    assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, id, SIDE_BUY, 40, 9900), 0);
    report(&f, id, EXEC_TYPE_CANCELED, SIDE_BUY, 0, 0);
    assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, id, SIDE_BUY, 100, 9900), RISK_ORDER_NOT_OPEN);
    assert_int_equal(ask_change(&f, ORDER_ACTION_CANCEL, id, SIDE_BUY, 0, 0), RISK_ORDER_NOT_OPEN);
    glue_close(&f.g);
}

/* ---- B, C -------------------------------------------------------------------------------------------------------- */

static void test_risk_authority(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    const risk_account_cfg_t all = {.tenant_id = 1,
                                    .ccy       = ccy_pack("USDT"),
                                    .may_trade = 1,
                                    .may_short = 1,
                                    .ord_types = 1U << ORD_TYPE_LIMIT | 1U << ORD_TYPE_MARKET,
                                    .venues    = 1U << GLUE_VENUE};
    const struct {
        uint16_t           code;
        risk_account_cfg_t cfg;
    } cases[] = {
        {RISK_NOT_AUTHORISED, {.tenant_id = 1, .ccy = all.ccy, .may_short = 1, .ord_types = 6, .venues = 2}},
        {RISK_VENUE_NOT_PERMITTED,
         {.tenant_id = 1, .ccy = all.ccy, .may_trade = 1, .may_short = 1, .ord_types = 6, .venues = 5}},
        {RISK_ORDER_TYPE_NOT_PERMITTED,
         {.tenant_id = 1, .ccy = all.ccy, .may_trade = 1, .may_short = 1, .ord_types = 2, .venues = 2}},
    };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(risk_account_open(f.g.risk, 1, &cases[i].cfg), ERR_OK);
        GIVES(&f, cases[i].code, q, (void)q);
    }
    risk_account_cfg_t no_short = all;
    no_short.may_short          = 0;
    assert_int_equal(risk_account_open(f.g.risk, 1, &no_short), ERR_OK);
    assert_int_equal(ask_new(&f, SIDE_SELL, 1, 10100), RISK_SHORT_NOT_PERMITTED);
    glue_position(&f.g, 1, 1, 100, 10000);
    assert_int_equal(ask_new(&f, SIDE_SELL, 100, 10100), 0);
    assert_int_equal(ask_new(&f, SIDE_SELL, 1, 10100), RISK_SHORT_NOT_PERMITTED);
    assert_scope(&f, SCOPE_ACCOUNT_INSTRUMENT, 1, 1, 0);
    assert_int_equal(risk_account_open(f.g.risk, 1, &all), ERR_OK);
    assert_int_equal(risk_permit(f.g.risk, 1, 1, false), ERR_OK);
    GIVES(&f, RISK_INSTRUMENT_NOT_PERMITTED, q, (void)q);
    assert_int_equal(risk_permit(f.g.risk, 1, 1, true), ERR_OK);
    assert_int_equal(risk_restrict(f.g.risk, 1, true), ERR_OK);
    GIVES(&f, RISK_INSTRUMENT_RESTRICTED, q, (void)q);
    assert_int_equal(risk_restrict(f.g.risk, 1, false), ERR_OK);
    assert_int_equal(risk_strategy_open(f.g.risk, 1, 1, 0), ERR_OK);
    GIVES(&f, RISK_STRATEGY_NOT_APPROVED, q, (void)q);
    assert_int_equal(risk_strategy_open(f.g.risk, 1, 1, 2), ERR_OK);
    GIVES(&f, RISK_STRATEGY_NOT_APPROVED, q, q.strategy_id = 4);
    GIVES(&f, RISK_STRATEGY_NOT_APPROVED, q, q.strategy_id = UINT32_MAX);
    GIVES(&f, RISK_ACCEPTED, q, (void)q);
    glue_close(&f.g);
}

/* Each flag alone denies with its code, is lifted again, and never stops a cancel. */
static void test_risk_states(void **state)
{
    (void)state;
    static const struct {
        uint16_t       code;
        control_kind_t kind;
        scope_t        scope_type;
        uint32_t       id;
        int64_t        on, off;
    } cases[] = {
        {RISK_KILL_GLOBAL, CONTROL_KILL, SCOPE_GLOBAL, 0, 1, 0},
        {RISK_KILL_TENANT, CONTROL_KILL, SCOPE_TENANT, 1, 1, 0},
        {RISK_KILL_ACCOUNT, CONTROL_KILL, SCOPE_ACCOUNT, 1, 1, 0},
        {RISK_KILL_STRATEGY, CONTROL_KILL, SCOPE_STRATEGY, 1, 1, 0},
        {RISK_KILL_VENUE, CONTROL_KILL, SCOPE_VENUE, 1, 1, 0},
        {RISK_KILL_INSTRUMENT, CONTROL_KILL, SCOPE_INSTRUMENT, 1, 1, 0},
        {RISK_SESSION_CLOSED, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_CLOSED, SESSION_OPEN},
        {RISK_SESSION_CLOSED, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_NONE, SESSION_OPEN},
        {RISK_SESSION_CLOSED, CONTROL_SESSION, SCOPE_INSTRUMENT, 1, SESSION_CLOSED, SESSION_NONE},
        {RISK_INSTRUMENT_HALTED, CONTROL_SESSION, SCOPE_INSTRUMENT, 1, SESSION_HALTED, SESSION_NONE},
        {RISK_INSTRUMENT_HALTED, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_HALTED, SESSION_OPEN},
        {RISK_CANCEL_ONLY, CONTROL_SESSION, SCOPE_INSTRUMENT, 1, SESSION_CANCEL_ONLY, SESSION_OPEN},
        {RISK_TYPE_NOT_IN_PHASE, CONTROL_SESSION, SCOPE_INSTRUMENT, 1, SESSION_PRE_OPEN, SESSION_OPEN},
        {RISK_REDUCE_ONLY, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, 1, 0},
        {RISK_RECOVERING, CONTROL_RECOVERING, SCOPE_ACCOUNT, 1, 1, 0},
        {RISK_UNRECONCILED, CONTROL_UNRECONCILED, SCOPE_ACCOUNT, 1, 1, 0},
        {RISK_VENUE_DOWN, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 0, 1},
        {RISK_JOURNAL_DOWN, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 0, 1},
        {RISK_CLOCK_UNTRUSTED, CONTROL_CLOCK, SCOPE_GLOBAL, 0, 0, 1},
    };
    fix_t f;
    fix_open(&f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ask_buy(&f, 1), 0);
        const uint64_t id = last_id(&f);
        glue_control(&f.g, cases[i].kind, cases[i].scope_type, cases[i].id, cases[i].on);
        assert_int_equal(ask_buy(&f, 1), cases[i].code);
        assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, id, SIDE_BUY, 2, 9900), cases[i].code);
        assert_int_equal(ask_change(&f, ORDER_ACTION_CANCEL, id, SIDE_BUY, 0, 0), 0);
        glue_control(&f.g, cases[i].kind, cases[i].scope_type, cases[i].id, cases[i].off);
    }
    assert_int_equal(ask_buy(&f, 1), 0);
    glue_close(&f.g);
}

static void test_risk_everything_is_closed_at_first(void **state)
{
    (void)state;
    fix_t      f;
    risk_cfg_t cfg;
    memset(&f, 0, sizeof f);
    risk_cfg_default(&cfg);
    glue_open(&f.g, cfg, 4, 4);
    const instrument_def_t def = glue_def(1);
    glue_instrument(&f.g, &def, 1);
    book(&f, 1, 9990, 10010);
    assert_int_equal(ask_buy(&f, 1), RISK_UNKNOWN_ACCOUNT);
    glue_account(&f.g, 1);
    assert_int_equal(ask_buy(&f, 1), RISK_STRATEGY_NOT_APPROVED);
    assert_int_equal(risk_strategy_open(f.g.risk, 1, 1, 1), ERR_OK);
    assert_int_equal(ask_buy(&f, 1), RISK_SESSION_CLOSED);
    glue_control(&f.g, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_OPEN);
    assert_int_equal(ask_buy(&f, 1), RISK_VENUE_DOWN);
    glue_control(&f.g, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 1);
    assert_int_equal(ask_buy(&f, 1), RISK_JOURNAL_DOWN);
    glue_control(&f.g, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 1);
    assert_int_equal(ask_buy(&f, 1), RISK_CLOCK_UNTRUSTED);
    glue_control(&f.g, CONTROL_CLOCK, SCOPE_GLOBAL, 0, 1);
    limits_wide(&f);
    const struct {
        scope_t              type;
        uint32_t             id2;
        const risk_limits_t *limits;
    } sets[] = {{SCOPE_ACCOUNT, 0, &f.account},        {SCOPE_INSTRUMENT, 0, &f.market},
                {SCOPE_ACCOUNT_INSTRUMENT, 1, &f.row}, {SCOPE_VENUE, 0, &f.venue},
                {SCOPE_STRATEGY, 0, &f.strategy},      {SCOPE_STRATEGY_INSTRUMENT, 1, &f.strategy_row}};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(ask_buy(&f, 1), RISK_LIMIT_MISSING);
        assert_int_equal(f.out.verdict.scope_type, sets[i].type);
        assert_int_equal(risk_limits_set(f.g.risk, sets[i].type, 1, sets[i].id2, sets[i].limits), ERR_OK);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ask_buy(&f, 1), 0);
    }
    assert_int_equal(ask_buy(&f, 1), RISK_INTERNAL); /* four rows, four open orders */
    report(&f, last_id(&f) - 1, EXEC_TYPE_CANCELED, SIDE_BUY, 0, 0);
    assert_int_equal(ask_buy(&f, 1), 0);
    glue_close(&f.g);
}

static void test_risk_other_currency_has_no_limits(void **state)
{
    (void)state;
    fix_t            f;
    risk_cfg_t       cfg;
    instrument_def_t def = glue_def(1);
    risk_cfg_default(&cfg);
    def.settle_ccy = ccy_pack("EUR");
    fix_open_def(&f, cfg, 16, &def, 1);
    assert_int_equal(ask_buy(&f, 1), RISK_LIMIT_MISSING);
    assert_int_equal(f.out.verdict.scope_type, SCOPE_ACCOUNT);
    glue_close(&f.g);
}

static void test_risk_reduce_only_after_overfill_and_latch_code(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    assert_int_equal(ask_buy(&f, 10), 0);
    report(&f, last_id(&f), EXEC_TYPE_TRADE, SIDE_BUY, 11, 9900);
    assert_int_equal(ask_buy(&f, 1), RISK_REDUCE_ONLY);
    assert_int_equal(ask_new(&f, SIDE_SELL, 12, 10100), RISK_REDUCE_ONLY);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 1, 0);
    assert_int_equal(ask_new(&f, SIDE_SELL, 11, 10100), 0);
    glue_control(&f.g, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, 0);
    f.account.max_realised_loss = 5;
    limits_apply(&f);
    risk_loss_event_t event;
    risk_loss(f.g.risk, 1, &(risk_pnl_t){.realised = -5}, f.now, &event);
    assert_int_equal(event.level, RISK_LOSS_STOP);
    assert_int_equal(ask_buy(&f, 1), RISK_REALISED_LOSS);
    glue_control(&f.g, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, 1);
    assert_int_equal(ask_buy(&f, 1), RISK_REDUCE_ONLY);
    glue_close(&f.g);
}

/* ---- D, E, F ----------------------------------------------------------------------------------------------------- */

static order_req_t market_order(fix_t *f, side_t side)
{
    order_req_t req = request(f, side, 10, 0);
    req.ord_type    = ORD_TYPE_MARKET;
    req.tif         = TIF_IOC;
    return req;
}

static void test_risk_market_data(void **state)
{
    (void)state;
    fix_t       f;
    order_req_t req;
    fix_open(&f);
    risk_md_t md = {.last_px = 10000, .has_last = 1, .last_mono_ns = f.now.mono_ns};
    glue_book(&f.g, 1, &(risk_md_t){0}, f.now);
    assert_int_equal(ask_buy(&f, 1), RISK_NO_REFERENCE_PRICE);
    glue_book(&f.g, 1, &md, f.now); /* a fresh trade stands in for a book, but not for a market order */
    assert_int_equal(ask_buy(&f, 1), 0);
    req = market_order(&f, SIDE_BUY);
    assert_int_equal(ask(&f, &req), RISK_NO_REFERENCE_PRICE);
    md.last_mono_ns = f.now.mono_ns - 500 * NS_PER_MS;
    glue_book(&f.g, 1, &md, f.now);
    assert_int_equal(ask_buy(&f, 1), 0);
    md.last_mono_ns--;
    glue_book(&f.g, 1, &md, f.now);
    assert_int_equal(ask_buy(&f, 1), RISK_STALE_MARKET_DATA);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 500 * NS_PER_MS + 1, 500 * NS_PER_MS);
    md = (risk_md_t){.bid_px       = 9990,
                     .ask_px       = 10010,
                     .has_bid      = 1,
                     .has_ask      = 1,
                     .book_mono_ns = f.now.mono_ns - 500 * NS_PER_MS - 1};
    glue_book(&f.g, 1, &md, f.now);
    req = market_order(&f, SIDE_BUY);
    assert_int_equal(ask(&f, &req), RISK_STALE_MARKET_DATA);
    book(&f, 1, 10010, 10010);
    assert_int_equal(ask_buy(&f, 1), RISK_BOOK_INVALID);
    book(&f, 1, 9750, 10250); /* 500 of mid 10000: 5 % */
    assert_int_equal(ask_buy(&f, 1), 0);
    book(&f, 1, 9749, 10250);
    assert_int_equal(ask_buy(&f, 1), RISK_BOOK_INVALID);
    book(&f, 1, 9990, 10010);
    f.g.md[1].feed_gap = 1;
    assert_int_equal(ask_buy(&f, 1), RISK_FEED_GAP);
    glue_close(&f.g);
}

static void test_risk_prices(void **state)
{
    (void)state;
    fix_t            f;
    risk_cfg_t       cfg;
    instrument_def_t def = glue_def(1);
    def.band_lower       = 8000;
    def.band_upper       = 10250;
    risk_cfg_default(&cfg);
    fix_open_def(&f, cfg, 256, &def, 1);
    f.market.far_bp = 1000;
    limits_apply(&f);
    assert_int_equal(ask_new(&f, SIDE_BUY, 1, 10301), RISK_COLLAR_BUY);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 10301, 10300);
    assert_int_equal(ask_new(&f, SIDE_BUY, 1, 10251), RISK_STATIC_BAND);
    assert_int_equal(ask_new(&f, SIDE_BUY, 1, 8999), RISK_FAR_FROM_MARKET);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 8999, 9000);
    assert_int_equal(ask_new(&f, SIDE_BUY, 1, 9000), 0);
    assert_int_equal(ask_new(&f, SIDE_SELL, 1, 9699), RISK_COLLAR_SELL);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 9699, 9700);
    assert_int_equal(ask_new(&f, SIDE_SELL, 1, 9700), 0);
    assert_int_equal(ask_new(&f, SIDE_SELL, 1, 11001), RISK_FAR_FROM_MARKET);
    assert_int_equal(ask_new(&f, SIDE_SELL, 1, 10250), 0);
    f.market.far_bp = 5000;
    limits_apply(&f);
    assert_int_equal(ask_new(&f, SIDE_BUY, 1, 7999), RISK_STATIC_BAND);
    assert_int_equal(ask_new(&f, SIDE_BUY, 1, 8000), 0);
    glue_close(&f.g);
}

/* Market orders leave as limit orders at the collar, rounded to the tick towards the reference price. */
static void test_risk_market_orders_are_limit_orders_at_the_collar(void **state)
{
    (void)state;
    fix_t                  f;
    risk_cfg_t             cfg;
    const instrument_def_t def = glue_def(1);
    risk_cfg_default(&cfg);
    fix_open_def(&f, cfg, 16, &def, 7);
    book(&f, 1, 9989, 10010); /* mid 9999.5: collar 10299.485 and 9699.515 */
    order_req_t req = market_order(&f, SIDE_BUY);
    assert_int_equal(ask(&f, &req), 0);
    assert_int_equal(f.out.px, 10297);
    assert_int_equal(f.out.px_value, 10297);
    assert_int_equal(order_at(f.g.orders, order_find(f.g.orders, req.cl_ord_id))->px, 10297);
    glue_control(&f.g, CONTROL_SESSION, SCOPE_INSTRUMENT, 1, SESSION_OPEN);
    report(&f, req.cl_ord_id, EXEC_TYPE_EXPIRED, SIDE_BUY, 0, 0);
    req = market_order(&f, SIDE_SELL);
    assert_int_equal(ask(&f, &req), 0);
    assert_int_equal(f.out.px, 9702);
    assert_int_equal(f.out.px_value, 10000); /* a sell is valued at the reference price when that is higher */
    glue_close(&f.g);
}

static void test_risk_size(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.market.max_qty = 100;
    f.row.max_qty    = 90;
    limits_apply(&f);
    assert_int_equal(ask_buy(&f, 101), RISK_MAX_ORDER_QTY);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 101, 100);
    assert_int_equal(ask_buy(&f, 91), RISK_MAX_ORDER_QTY);
    assert_scope(&f, SCOPE_ACCOUNT_INSTRUMENT, 1, 91, 90);
    assert_int_equal(ask_buy(&f, 90), 0);
    f.market.max_value  = 99000; /* 10 x 9900 */
    f.account.max_value = 98000;
    limits_apply(&f);
    assert_int_equal(ask_buy(&f, 11), RISK_MAX_ORDER_VALUE);
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 108900, 99000);
    assert_int_equal(ask_buy(&f, 10), RISK_MAX_ORDER_VALUE);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 99000, 98000);
    f.account.max_value = 99000;
    limits_apply(&f);
    assert_int_equal(ask_buy(&f, 10), 0);
    assert_int_equal(ask_new(&f, SIDE_SELL, 10, 9950), RISK_MAX_ORDER_VALUE); /* valued at 10000 */
    assert_scope(&f, SCOPE_INSTRUMENT, 1, 100000, 99000);
    glue_close(&f.g);
}

/* ---- G, H -------------------------------------------------------------------------------------------------------- */

static void test_risk_rates_by_scope(void **state)
{
    (void)state;
    static const scope_t scopes[] = {SCOPE_STRATEGY, SCOPE_ACCOUNT, SCOPE_VENUE};
    for (int messages = 0; messages < 2; messages++) {
        for (size_t s = 0; s < 3; s++) {
            fix_t f;
            fix_open(&f);
            risk_limits_t *limits                          = s == 0 ? &f.strategy : s == 1 ? &f.account : &f.venue;
            *(messages ? &limits->msg_n : &limits->rate_n) = 3;
            limits_apply(&f);
            assert_int_equal(ask_buy(&f, 1), 0);
            const uint64_t id = last_id(&f);
            assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, id, SIDE_BUY, 2, 9900), 0);
            assert_int_equal(ask_change(&f, ORDER_ACTION_CANCEL, id, SIDE_BUY, 0, 0), 0); /* in a budget of its own */
            assert_int_equal(ask_buy(&f, 1), 0);
            assert_int_equal(ask_buy(&f, 1), messages ? RISK_RATE_MESSAGES : RISK_RATE_ORDERS);
            assert_scope(&f, scopes[s], 1, 4, 3);
            f.now.mono_ns += NS_PER_S - 1;
            book(&f, 1, 9990, 10010);
            assert_int_equal(ask_buy(&f, 1), messages ? RISK_RATE_MESSAGES : RISK_RATE_ORDERS);
            f.now.mono_ns++;
            for (int i = 0; i < 3; i++) {
                assert_int_equal(ask_buy(&f, 1), 0);
            }
            glue_close(&f.g);
        }
    }
}

static void test_risk_limit_zero_allows_nothing(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.account.rate_n = 0;
    limits_apply(&f);
    assert_int_equal(ask_buy(&f, 1), RISK_RATE_ORDERS);
    f.account.rate_n = 100;
    f.row.max_long   = 0;
    limits_apply(&f);
    assert_int_equal(ask_buy(&f, 1), RISK_MAX_LONG);
    assert_int_equal(ask_new(&f, SIDE_SELL, 1, 10100), 0);
    glue_close(&f.g);
}

static void test_risk_cancels_over_budget_pass_and_are_told(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.account.cancel_n = 2;
    limits_apply(&f);
    assert_int_equal(ask_buy(&f, 1), 0);
    const uint64_t id = last_id(&f);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ask_change(&f, ORDER_ACTION_CANCEL, id, SIDE_BUY, 0, 0), 0);
        assert_int_equal(f.out.soft_count, i == 2); /* told once a second */
    }
    f.now.mono_ns += NS_PER_S;
    assert_int_equal(ask_change(&f, ORDER_ACTION_CANCEL, id, SIDE_BUY, 0, 0), 0);
    assert_int_equal(f.out.soft_count, 0);
    glue_close(&f.g);
}

static void test_risk_duplicates(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.account.dup_n = 2;
    limits_apply(&f);
    assert_int_equal(ask_buy(&f, 5), 0);
    assert_int_equal(ask_buy(&f, 5), 0);
    assert_int_equal(ask_buy(&f, 5), RISK_DUPLICATE_ORDER);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 3, 2);
    GIVES(&f, RISK_ACCEPTED, q, (q.qty = 5, q.account_id = 2));
    GIVES(&f, RISK_ACCEPTED, q, (q.qty = 5, q.instrument_id = 2));
    f.now.mono_ns += 100 * NS_PER_MS - 1;
    assert_int_equal(ask_buy(&f, 5), RISK_DUPLICATE_ORDER);
    f.now.mono_ns++;
    assert_int_equal(ask_buy(&f, 5), 0);
    glue_close(&f.g);
}

static void test_risk_self_trade(void **state)
{
    (void)state;
    for (uint32_t stp = RISK_STP_TENANT; stp <= RISK_STP_ACCOUNT; stp++) {
        fix_t                  f;
        risk_cfg_t             cfg;
        const instrument_def_t def = glue_def(1);
        risk_cfg_default(&cfg);
        cfg.stp = stp;
        fix_open_def(&f, cfg, 64, &def, 1);
        GIVES(&f, RISK_ACCEPTED, q, (q.account_id = 2, q.side = SIDE_SELL, q.px = 10050));
        GIVES(&f, stp == RISK_STP_TENANT ? RISK_SELF_TRADE : RISK_ACCEPTED, q, q.px = 10050);
        GIVES(&f, RISK_ACCEPTED, q, (q.account_id = 2, q.px = 9950));
        GIVES(&f, RISK_SELF_TRADE, q, (q.account_id = 2, q.px = 9950, q.side = SIDE_SELL));
        GIVES(&f, RISK_ACCEPTED, q, (q.account_id = 2, q.instrument_id = 2, q.px = 9950, q.side = SIDE_SELL));
        /* a replace under way counts at its more eager price, and a replace is tested itself */
        GIVES(&f, RISK_ACCEPTED, q, (q.account_id = 2, q.px = 9800));
        const uint64_t low = last_id(&f);
        GIVES(&f, RISK_ACCEPTED, q,
              (q.account_id = 2, q.action = ORDER_ACTION_REPLACE, q.orig_cl_ord_id = low, q.px = 10040));
        GIVES(&f, RISK_SELF_TRADE, q, (q.account_id = 2, q.px = 10040, q.side = SIDE_SELL));
        GIVES(&f, RISK_SELF_TRADE, q,
              (q.account_id = 2, q.action = ORDER_ACTION_REPLACE, q.orig_cl_ord_id = low, q.px = 10050));
        glue_close(&f.g);
    }
}

/* ---- I ----------------------------------------------------------------------------------------------------------- */

static void test_risk_positions(void **state)
{
    (void)state;
    for (int by_strategy = 0; by_strategy < 2; by_strategy++) {
        fix_t f;
        fix_open(&f);
        risk_limits_t *limits = by_strategy ? &f.strategy_row : &f.row;
        const scope_t  scope  = by_strategy ? SCOPE_STRATEGY_INSTRUMENT : SCOPE_ACCOUNT_INSTRUMENT;
        limits->max_long      = 100;
        limits->max_short     = 50;
        limits_apply(&f);
        assert_int_equal(ask_buy(&f, 101), RISK_MAX_LONG);
        assert_scope(&f, scope, 1, 101, 100);
        assert_int_equal(ask_buy(&f, 100), 0);
        const uint64_t id = last_id(&f);
        assert_int_equal(ask_buy(&f, 1), RISK_MAX_LONG);
        assert_int_equal(ask_new(&f, SIDE_SELL, 51, 10100), RISK_MAX_SHORT);
        assert_int_equal(ask_new(&f, SIDE_SELL, 50, 10100), 0);
        report(&f, id, EXEC_TYPE_TRADE, SIDE_BUY, 100, 9900);
        assert_int_equal(ask_new(&f, SIDE_SELL, 101, 10100), RISK_MAX_SHORT);
        assert_int_equal(ask_new(&f, SIDE_SELL, 100, 10100), 0);
        /* another strategy has its own; a replace takes the place of its order's part */
        GIVES(&f, by_strategy ? RISK_ACCEPTED : RISK_MAX_SHORT, q,
              (q.side = SIDE_SELL, q.px = 10100, q.strategy_id = 2));
        limits->max_long = 200;
        limits_apply(&f);
        assert_int_equal(ask_buy(&f, 50), 0);
        const uint64_t half = last_id(&f);
        assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, half, SIDE_BUY, 101, 9900), RISK_MAX_LONG);
        assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, half, SIDE_BUY, 100, 9900), 0);
        /* lowered: an order towards flat passes */
        limits->max_long  = 0;
        limits->max_short = 1000;
        limits_apply(&f);
        assert_int_equal(ask_new(&f, SIDE_SELL, 1, 10100), 0);
        assert_int_equal(ask_buy(&f, 1), RISK_MAX_LONG);
        glue_close(&f.g);
    }
}

static void test_risk_money(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.account.max_gross = 2000000;
    limits_apply(&f);
    assert_int_equal(ask_buy(&f, 150), 0);                   /* 1,500,000 */
    assert_int_equal(ask_new(&f, SIDE_SELL, 150, 10100), 0); /* does not raise max(|L|, |K|) */
    GIVES(&f, RISK_MAX_GROSS, q, (q.instrument_id = 2, q.qty = 51));
    assert_scope(&f, SCOPE_ACCOUNT, 1, 2010000, 2000000);
    GIVES(&f, RISK_ACCEPTED, q, (q.instrument_id = 2, q.qty = 50));
    GIVES(&f, RISK_MAX_GROSS, q, q.qty = 1);
    book(&f, 2, 19980, 20020); /* the mark moves gross: 1,500,000 + 1,000,000 */
    risk_account_state_t acc;
    assert_true(risk_account_state(f.g.risk, 1, &acc));
    assert_int_equal((int64_t)acc.gross, 2500000);
    GIVES(&f, RISK_ACCEPTED, q, (q.side = SIDE_SELL, q.instrument_id = 2, q.px = 20100, q.qty = 50));
    f.account.max_gross = INT64_MAX;
    f.account.max_net   = 3000000; /* long: 1,500,000 + 1,000,000; short the same */
    limits_apply(&f);
    GIVES(&f, RISK_MAX_NET, q, q.qty = 51);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 3010000, 3000000);
    GIVES(&f, RISK_ACCEPTED, q, q.qty = 50);
    GIVES(&f, RISK_MAX_NET, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = 51));
    GIVES(&f, RISK_ACCEPTED, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = 50));
    f.account.max_net          = INT64_MAX;
    f.account.max_gross        = 10000000;
    f.account.concentration_bp = 2500; /* 2,500,000; instrument 1 has 2,000,000 */
    limits_apply(&f);
    GIVES(&f, RISK_CONCENTRATION, q, q.qty = 51);
    assert_scope(&f, SCOPE_ACCOUNT_INSTRUMENT, 1, 2510000, 2500000);
    GIVES(&f, RISK_ACCEPTED, q, q.qty = 50);
    GIVES(&f, RISK_ACCEPTED, q, (q.side = SIDE_SELL, q.px = 10100, q.qty = 50));
    glue_close(&f.g);
}

static void test_risk_open_orders_and_value(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.row.max_open_orders     = 2;
    f.account.max_open_orders = 3;
    limits_apply(&f);
    assert_int_equal(ask_buy(&f, 1), 0);
    const uint64_t id = last_id(&f);
    assert_int_equal(ask_buy(&f, 1), 0);
    assert_int_equal(ask_buy(&f, 1), RISK_MAX_OPEN_ORDERS_INSTRUMENT);
    assert_scope(&f, SCOPE_ACCOUNT_INSTRUMENT, 1, 3, 2);
    assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, id, SIDE_BUY, 2, 9900), 0);
    GIVES(&f, RISK_ACCEPTED, q, q.instrument_id = 2);
    GIVES(&f, RISK_MAX_OPEN_ORDERS_ACCOUNT, q, q.instrument_id = 2);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 4, 3);
    report(&f, id, EXEC_TYPE_TIMEOUT, SIDE_BUY, 0, 0); /* unknown counts */
    assert_int_equal(ask_buy(&f, 1), RISK_MAX_OPEN_ORDERS_INSTRUMENT);
    report(&f, id, EXEC_TYPE_UNSENT, SIDE_BUY, 0, 0);
    assert_int_equal(ask_buy(&f, 1), 0);
    f.row.max_open_orders = f.account.max_open_orders = 50;
    f.account.max_open_value = 9900 + 9900 + 99000 + 10000; /* open so far: 1, 1 and 10 at 9900 */
    limits_apply(&f);
    assert_int_equal(ask_new(&f, SIDE_BUY, 1, 10001), RISK_MAX_OPEN_VALUE);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 9900 + 9900 + 99000 + 10001, 128800);
    assert_int_equal(ask_new(&f, SIDE_BUY, 1, 9000), 0);
    /* a replace counts at the worse of both prices: 10001 is 1 too much, 10000 fits, and going back counts 10000 still
     */
    const uint64_t last = last_id(&f);
    assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, last, SIDE_BUY, 1, 10001), RISK_MAX_OPEN_VALUE);
    assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, last, SIDE_BUY, 1, 10000), 0);
    assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, last, SIDE_BUY, 1, 9000), 0);
    risk_account_state_t acc;
    assert_true(risk_account_state(f.g.risk, 1, &acc));
    assert_int_equal((int64_t)acc.open_value, 128800);
    glue_close(&f.g);
}

/* Inverse: 100 USD a contract; value in coin = qty * 100 / px, so the lower price is the worse one. */
static void test_risk_inverse_counts_at_the_lower_price(void **state)
{
    (void)state;
    fix_t            f;
    risk_cfg_t       cfg;
    instrument_def_t def = glue_def(1);
    def.kind             = INSTRUMENT_INVERSE;
    def.mult             = 1000000;
    risk_cfg_default(&cfg);
    fix_open_def(&f, cfg, 64, &def, 1);
    assert_int_equal(ask_new(&f, SIDE_BUY, 10, 10000), 0);
    risk_account_state_t acc;
    assert_true(risk_account_state(f.g.risk, 1, &acc));
    assert_int_equal((int64_t)acc.open_value, 1000);
    assert_int_equal((int64_t)acc.gross, 1000);
    assert_int_equal(ask_change(&f, ORDER_ACTION_REPLACE, last_id(&f), SIDE_BUY, 10, 8000), 0);
    assert_true(risk_account_state(f.g.risk, 1, &acc));
    assert_int_equal((int64_t)acc.open_value, 1250);
    glue_close(&f.g);
}

static void test_risk_value_over_time(void **state)
{
    (void)state;
    fix_t      f;
    risk_cfg_t cfg;
    risk_cfg_default(&cfg);
    cfg.value_window_max       = 20;
    const instrument_def_t def = glue_def(1);
    fix_open_def(&f, cfg, 64, &def, 1);
    f.account.value_w_max = 99000;
    limits_apply(&f);
    assert_int_equal(ask_buy(&f, 4), 0);
    f.now.mono_ns += 1;
    assert_int_equal(ask_buy(&f, 6), 0);
    assert_int_equal(ask_new(&f, SIDE_BUY, 1, 9900), RISK_RATE_VALUE);
    assert_scope(&f, SCOPE_ACCOUNT, 1, 108900, 99000);
    f.now.mono_ns += 60 * NS_PER_S - 2;
    book(&f, 1, 9990, 10010);
    assert_int_equal(ask_buy(&f, 1), RISK_RATE_VALUE);
    f.now.mono_ns++;
    assert_int_equal(ask_buy(&f, 4), 0);
    assert_int_equal(ask_buy(&f, 1), RISK_RATE_VALUE);
    f.now.mono_ns++;
    assert_int_equal(ask_buy(&f, 6), 0);
    /* more orders than the window keeps: denied, never forgotten */
    f.now.mono_ns += 61 * NS_PER_S;
    book(&f, 1, 9990, 10010);
    f.account.value_w_max = INT64_MAX;
    limits_apply(&f);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ask_buy(&f, 1), 0);
    }
    assert_int_equal(ask_buy(&f, 1), RISK_RATE_VALUE);
    glue_close(&f.g);
}

static void test_risk_soft_limits_are_told_once_a_second(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.row.max_long = 100;
    limits_apply(&f);
    assert_int_equal(ask_buy(&f, 79), 0);
    assert_int_equal(f.out.soft_count, 0);
    assert_int_equal(ask_buy(&f, 1), 0);
    assert_int_equal(f.out.soft_count, 1);
    assert_int_equal(f.out.soft[0].code, RISK_MAX_LONG);
    assert_int_equal(f.out.soft[0].scope_type, SCOPE_ACCOUNT_INSTRUMENT);
    assert_int_equal(f.out.soft[0].observed, 80);
    assert_int_equal(f.out.soft[0].limit, 100);
    f.now.mono_ns += NS_PER_S - 1;
    book(&f, 1, 9990, 10010);
    assert_int_equal(ask_buy(&f, 1), 0);
    assert_int_equal(f.out.soft_count, 0);
    f.now.mono_ns++;
    assert_int_equal(ask_buy(&f, 1), 0);
    assert_int_equal(f.out.soft_count, 1);
    f.account.rate_n = 10;
    limits_apply(&f);
    f.now.mono_ns += 2 * NS_PER_S;
    book(&f, 1, 9990, 10010);
    for (int i = 1; i <= 8; i++) {
        assert_int_equal(ask_new(&f, SIDE_SELL, 1, 10100), 0);
        assert_int_equal(f.out.soft_count, i == 8); /* 80 % of 10 */
    }
    assert_int_equal(f.out.soft[0].code, RISK_RATE_ORDERS);
    glue_close(&f.g);
}

/* ---- J ----------------------------------------------------------------------------------------------------------- */

static risk_loss_event_t lose(fix_t *f, int64_t day, int64_t realised, int64_t equity)
{
    risk_loss_event_t event;
    risk_loss(f->g.risk, 1, &(risk_pnl_t){.day = day, .realised = realised, .equity = equity}, f->now, &event);
    return event;
}

static void test_risk_loss_levels(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.account.max_day_loss = 1000;
    limits_apply(&f);
    assert_int_equal(lose(&f, -799, 0, 0).level, RISK_LOSS_NONE);
    assert_int_equal(lose(&f, -800, 0, 0).level, RISK_LOSS_WARN);
    assert_int_equal(lose(&f, -999, 0, 0).level, RISK_LOSS_NONE); /* told already in this second */
    assert_int_equal(ask_buy(&f, 1), 0);
    const risk_loss_event_t stop = lose(&f, -1000, 0, 0);
    assert_int_equal(stop.level, RISK_LOSS_STOP);
    assert_int_equal(stop.code, RISK_DAY_LOSS);
    assert_int_equal(stop.observed, 1000);
    assert_int_equal(stop.limit, 1000);
    assert_int_equal(ask_buy(&f, 1), RISK_DAY_LOSS);
    assert_int_equal(lose(&f, 500, 0, 0).level, RISK_LOSS_NONE);
    assert_int_equal(ask_buy(&f, 1), RISK_DAY_LOSS); /* latched */
    f.now.mono_ns += 60 * NS_PER_S - 1;
    assert_int_equal(lose(&f, -1001, 0, 0).level, RISK_LOSS_NONE);
    f.now.mono_ns++;
    assert_int_equal(lose(&f, -1000, 0, 0).level, RISK_LOSS_NONE);
    assert_int_equal(lose(&f, -1001, 0, 0).level, RISK_LOSS_KILL);
    assert_int_equal(lose(&f, -1001, 0, 0).level, RISK_LOSS_NONE);
    assert_int_equal(ask_buy(&f, 1), RISK_KILL_ACCOUNT);
    glue_control(&f.g, CONTROL_KILL, SCOPE_ACCOUNT, 1, 0);
    glue_control(&f.g, CONTROL_CLEAR_LATCH, SCOPE_ACCOUNT, 1, 1);
    book(&f, 1, 9990, 10010);
    assert_int_equal(ask_buy(&f, 1), 0);
    assert_int_equal(lose(&f, -1200, 0, 0).level, RISK_LOSS_KILL);
    glue_close(&f.g);
}

static void test_risk_drawdown_is_from_the_peak_of_the_day(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    f.account.max_drawdown = 100;
    limits_apply(&f);
    assert_int_equal(lose(&f, 0, 0, 5000).level, RISK_LOSS_NONE);
    assert_int_equal(lose(&f, 0, 0, 5300).level, RISK_LOSS_NONE);
    assert_int_equal(lose(&f, 0, 0, 5221).level, RISK_LOSS_NONE);
    f.now.utc_ns += 86400 * NS_PER_S;
    assert_int_equal(lose(&f, 0, 0, 5100).level, RISK_LOSS_NONE); /* a new day */
    assert_int_equal(lose(&f, 0, 0, 5000).code, RISK_DRAWDOWN);
    assert_int_equal(ask_buy(&f, 1), RISK_DRAWDOWN);
    glue_close(&f.g);
}

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static void test_risk_refuses_bad_set_up(void **state)
{
    (void)state;
    fix_t      f;
    risk_cfg_t cfg;
    risk_cfg_default(&cfg);
    cfg.venues_max = RISK_VENUES_MAX + 1;
    assert_int_equal(risk_footprint(&cfg), 0);
    assert_non_null(strstr(err_msg(), "venues_max 64"));
    cfg.venues_max = 1;
    cfg.soft_bp    = -1;
    assert_int_equal(risk_footprint(&cfg), 0);
    static _Alignas(64) char nothing[4096];
    assert_null(risk_join(nothing));
    fix_open(&f);
    const uint32_t version = risk_limit_version(f.g.risk);
    risk_limits_t  bad     = f.row;
    bad.max_long           = -1;
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_ACCOUNT_INSTRUMENT, 1, 1, &bad), ERR_ARG);
    assert_non_null(strstr(err_msg(), "max_long -1"));
    bad         = f.row;
    bad.max_net = 1; /* a field that this scope does not have */
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_ACCOUNT_INSTRUMENT, 1, 1, &bad), ERR_ARG);
    bad        = f.account;
    bad.rate_n = 1025;
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_ACCOUNT, 1, 0, &bad), ERR_ARG);
    bad          = f.account;
    bad.dup_w_ns = bad.rate_w_ns + 1;
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_ACCOUNT, 1, 0, &bad), ERR_ARG);
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_ACCOUNT, 4, 0, &f.account), ERR_ARG);
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_GLOBAL, 1, 0, &f.account), ERR_ARG);
    assert_int_equal(risk_limits_set(f.g.risk, SCOPE_ACCOUNT_INSTRUMENT, 1, 0, &f.row), ERR_ARG);
    assert_int_equal(risk_limit_version(f.g.risk), version);
    assert_int_equal(ask_buy(&f, 1), 0);
    assert_int_equal(f.out.verdict.limit_version, version);
    const control_t controls[] = {
        {.kind = CONTROL_NONE},
        {.kind = CONTROL_KIND_COUNT},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_ACCOUNT_INSTRUMENT, .scope_id = 9, .value = 1},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_ACCOUNT, .scope_id = 9, .value = 1},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_GLOBAL, .value = 2},
        {.kind = CONTROL_SESSION, .scope_type = SCOPE_VENUE, .scope_id = 1, .value = 6},
        {.kind = CONTROL_VENUE_LINK, .scope_type = SCOPE_ACCOUNT, .scope_id = 1, .value = 0}};
    const uint64_t hash = glue_hash(&f.g);
    for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
        assert_int_equal(risk_control(f.g.risk, &controls[i]), ERR_ARG);
    }
    assert_int_equal(risk_account_open(f.g.risk, 1, &(risk_account_cfg_t){.tenant_id = 2}), ERR_EXISTS);
    assert_true(glue_hash(&f.g) == hash);
    glue_close(&f.g);
}

static void test_risk_codes_have_names_and_units(void **state)
{
    (void)state;
    assert_string_equal(risk_code_str(0), "ACCEPTED");
    assert_string_equal(risk_code_str(221), "MAX_LONG");
    assert_string_equal(risk_code_unit(221), "qty");
    assert_string_equal(risk_code_str(100), "?");
    assert_string_equal(risk_code_unit(100), "");
}

static void test_risk_sums_over_63_bits_close_the_row(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f);
    glue_position(&f.g, 1, 1, INT64_MAX, 1);
    assert_int_equal(ask_new(&f, SIDE_SELL, 1, 10100), RISK_ARITHMETIC_OVERFLOW); /* L has no value in 63 bits */
    glue_position(&f.g, 1, 1, 1, 1);
    assert_int_equal(ask_new(&f, SIDE_SELL, 1, 10100), RISK_INTERNAL);
    GIVES(&f, RISK_ACCEPTED, q, (q.account_id = 2));
    glue_close(&f.g);
}

/* The check values both sides at its own reference price, also the side that the request does not move. */
static void test_risk_values_both_sides_at_the_newest_price(void **state)
{
    (void)state;
    fix_t                f;
    risk_account_state_t acc;
    fix_open(&f);
    glue_position(&f.g, 1, 1, 100, 10000);
    f.g.md[1].bid_px = 10190;
    f.g.md[1].ask_px = 10210; /* risk_mark has not been told yet */
    assert_int_equal(ask_new(&f, SIDE_BUY, 10, 10100), 0);
    assert_true(risk_account_state(f.g.risk, 1, &acc));
    assert_int_equal((int64_t)acc.net_long, 110 * 10200);
    assert_int_equal((int64_t)acc.net_short, -100 * 10200);
    glue_close(&f.g);
    /* a side whose value no longer fits denies, although the other one and the order do */
    fix_open(&f);
    glue_position(&f.g, 1, 1, 900000000000000, 10000);
    assert_int_equal(ask_new(&f, SIDE_SELL, 800000000000000, 10100), 0);
    book(&f, 1, 14990, 15010);
    assert_int_equal(ask_new(&f, SIDE_SELL, 1, 15100), RISK_ARITHMETIC_OVERFLOW);
    glue_close(&f.g);
}

/* ---- random histories -------------------------------------------------------------------------------------------- */

typedef struct model_event { /* a request that passed */
    int64_t  t;
    uint32_t account, strategy, instrument;
    side_t   side;
    int64_t  qty, px, value;
    bool     amend;
} model_event_t;

typedef struct model {
    model_event_t *passed;
    size_t         passed_count;
    int64_t        pos[3][3]; /* account, instrument */
    int64_t        strategy_pos[3][3];
    uint64_t       execs[20000];
    size_t         exec_count;
    uint64_t       received, accepted;
} model_t;

static uint64_t rnd_state;
static uint64_t rnd(uint64_t n)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return rnd_state % n;
}

static uint64_t seed_pick(void)
{
    const char    *env  = getenv("HWAL_SEED");
    const uint64_t seed = env ? strtoull(env, NULL, 10) : 20241108;
    printf("seed %" PRIu64 " (HWAL_SEED)\n", seed);
    return seed ? seed : 1;
}

/* Invariants 1 and 2: every sum again, from the order table and the model's own position. */
static void sums_check(const fix_t *f, const model_t *m)
{
    risk_exposure_t sum[3][3]         = {0};
    risk_exposure_t by_strategy[3][3] = {0};
    for (uint32_t row = order_first(f->g.orders); row != ORDER_NONE; row = order_next(f->g.orders, row)) {
        const order_t *o = order_at(f->g.orders, row);
        order_part_t   part;
        order_part(o, &part);
        assert_int_equal(part.counts, 1);
        risk_exposure_t *x = &sum[o->account_id][o->instrument_id];
        risk_exposure_t *s = &by_strategy[o->strategy_id][o->instrument_id];
        *(o->side == SIDE_BUY ? &x->buy_open : &x->sell_open) += part.qty;
        *(o->side == SIDE_BUY ? &s->buy_open : &s->sell_open) += part.qty;
        x->open_value += part.qty * (part.px_hi > part.px_lo ? part.px_hi : part.px_lo);
        x->open_orders++;
    }
    for (uint32_t a = 1; a <= 2; a++) {
        int64_t              orders = 0, value = 0;
        i128_t               gross = 0, net_long = 0;
        risk_account_state_t acc;
        for (uint32_t i = 1; i <= 2; i++) {
            risk_exposure_t x;
            assert_true(risk_exposure(f->g.risk, a, i, &x));
            assert_int_equal(x.pos, m->pos[a][i]);
            assert_int_equal(x.buy_open, sum[a][i].buy_open);
            assert_int_equal(x.sell_open, sum[a][i].sell_open);
            assert_int_equal(x.open_orders, sum[a][i].open_orders);
            assert_int_equal(x.open_value, sum[a][i].open_value);
            assert_int_equal(x.worst_long, x.pos + x.buy_open);
            assert_int_equal(x.worst_short, -(x.pos - x.sell_open));
            orders += x.open_orders;
            value += x.open_value;
            const int64_t l = x.worst_long < 0 ? -x.worst_long : x.worst_long;
            const int64_t k = x.worst_short < 0 ? -x.worst_short : x.worst_short;
            gross += (i128_t)(l > k ? l : k) * 10000;
            net_long += (i128_t)x.worst_long * 10000;
            risk_exposure_t s;
            assert_true(risk_strategy_exposure(f->g.risk, a, i, &s)); /* strategy ids are 1 and 2 too */
            assert_int_equal(s.pos, m->strategy_pos[a][i]);
            assert_int_equal(s.buy_open, by_strategy[a][i].buy_open);
            assert_int_equal(s.sell_open, by_strategy[a][i].sell_open);
        }
        assert_true(risk_account_state(f->g.risk, a, &acc));
        assert_int_equal(acc.open_orders, orders);
        assert_int_equal((int64_t)acc.open_value, value);
        assert_true(acc.gross == gross && acc.net_long == net_long); /* the mark never moves in this test */
    }
    const risk_counts_t counts = risk_counts(f->g.risk);
    assert_int_equal(counts.received, m->received);
    assert_int_equal(counts.accepted, m->accepted);
    assert_int_equal(counts.rejected, m->received - m->accepted);
}

/* What G and H must say, from the whole list of what passed and the whole list of open orders. */
static uint16_t model_code(const fix_t *f, const model_t *m, const order_req_t *q, int64_t value)
{
    int64_t strategy = 0, account = 0, venue = 0, equal = 0, sum = 0;
    for (size_t i = 0; i < m->passed_count; i++) {
        const model_event_t *e = &m->passed[i];
        if (e->t > f->now.mono_ns - NS_PER_S) {
            strategy += e->strategy == q->strategy_id;
            account += e->account == q->account_id;
            venue++;
        }
        if (e->account == q->account_id && e->t > f->now.mono_ns - f->account.value_w_ns) {
            sum += e->value;
        }
        equal += !e->amend && e->t > f->now.mono_ns - f->account.dup_w_ns && e->account == q->account_id &&
                 e->instrument == q->instrument_id && e->side == q->side && e->qty == q->qty && e->px == q->px;
    }
    if (strategy >= f->strategy.rate_n || account >= f->account.rate_n || venue >= f->venue.rate_n) {
        return RISK_RATE_ORDERS;
    }
    if (sum + value > f->account.value_w_max) {
        return RISK_RATE_VALUE;
    }
    if (q->action == ORDER_ACTION_NEW && equal >= f->account.dup_n) {
        return RISK_DUPLICATE_ORDER;
    }
    for (uint32_t row = order_first(f->g.orders); row != ORDER_NONE; row = order_next(f->g.orders, row)) {
        const order_t *o = order_at(f->g.orders, row);
        order_part_t   part;
        order_part(o, &part);
        const int64_t hi = o->replaces && o->pend_px_hi > o->px ? o->pend_px_hi : o->px;
        const int64_t lo = o->replaces && o->pend_px_lo < o->px ? o->pend_px_lo : o->px;
        if (o->closed_as == 0 && o->instrument_id == q->instrument_id && o->side != q->side &&
            (order_leaves(o) > 0 || o->replaces) && (q->side == SIDE_BUY ? lo <= q->px : hi >= q->px)) {
            return RISK_SELF_TRADE;
        }
    }
    return 0;
}

static uint64_t open_order_pick(const fix_t *f)
{
    uint32_t row = order_first(f->g.orders);
    for (uint64_t skip = rnd(12); skip > 0 && row != ORDER_NONE; skip--) {
        const uint32_t next = order_next(f->g.orders, row);
        row                 = next == ORDER_NONE ? row : next;
    }
    return row == ORDER_NONE ? 0 : order_at(f->g.orders, row)->cl_ord_id;
}

static void random_request(fix_t *f, model_t *m)
{
    order_req_t q       = request(f, rnd(2) ? SIDE_BUY : SIDE_SELL, (int64_t)rnd(40) + 1, 0);
    q.px                = q.side == SIDE_BUY ? 9900 + (int64_t)rnd(110) : 9990 + (int64_t)rnd(110);
    q.account_id        = (uint32_t)rnd(2) + 1;
    q.strategy_id       = (uint32_t)rnd(2) + 1;
    q.instrument_id     = (uint32_t)rnd(2) + 1;
    const uint64_t kind = rnd(10);
    const uint64_t orig = open_order_pick(f);
    bool           open = false;
    if (kind >= 6 && orig != 0) {
        const order_t *o = order_at(f->g.orders, order_find(f->g.orders, orig));
        q.action         = kind >= 8 ? ORDER_ACTION_CANCEL : ORDER_ACTION_REPLACE;
        q.orig_cl_ord_id = orig;
        q.side           = o->side;
        q.account_id     = o->account_id;
        q.strategy_id    = o->strategy_id;
        q.instrument_id  = o->instrument_id;
        open             = order_is_open(o);
    }
    const int64_t  value = q.qty * (q.side == SIDE_SELL && q.px < 10000 ? 10000 : q.px);
    const uint16_t gate  = q.action == ORDER_ACTION_CANCEL ? 0 : model_code(f, m, &q, value);
    const uint16_t code  = ask(f, &q);
    m->received++;
    m->accepted += code == 0;
    if (q.action == ORDER_ACTION_CANCEL) {
        assert_int_equal(code, open ? 0 : RISK_ORDER_NOT_OPEN);
        return;
    }
    if (code == RISK_ORDER_NOT_OPEN || code == RISK_AMEND_BELOW_FILLED) {
        return;
    }
    if (gate != 0 || (code != 0 && code < RISK_MAX_LONG) || code >= RISK_RATE_ORDERS) {
        assert_int_equal(code, gate);
    }
    if (code == 0) {
        m->passed[m->passed_count++] = (model_event_t){f->now.mono_ns,
                                                       q.account_id,
                                                       q.strategy_id,
                                                       q.instrument_id,
                                                       q.side,
                                                       q.qty,
                                                       q.px,
                                                       value,
                                                       q.action == ORDER_ACTION_REPLACE};
        risk_exposure_t x;
        risk_exposure(f->g.risk, q.account_id, q.instrument_id, &x);
        if (q.action == ORDER_ACTION_NEW) { /* invariant 3 */
            assert_true(q.side == SIDE_BUY ? x.worst_long <= f->row.max_long : x.worst_short <= f->row.max_short);
        }
    }
}

static void random_report(fix_t *f, model_t *m)
{
    static const exec_type_t types[] = {
        EXEC_TYPE_NEW,      EXEC_TYPE_TRADE,    EXEC_TYPE_TRADE,          EXEC_TYPE_TRADE,
        EXEC_TYPE_CANCELED, EXEC_TYPE_REPLACED, EXEC_TYPE_REPLACE_REJECT, EXEC_TYPE_CANCEL_REJECT,
        EXEC_TYPE_TIMEOUT,  EXEC_TYPE_EXPIRED,  EXEC_TYPE_TRADE_CANCEL,   EXEC_TYPE_ORDER_STATUS};
    static const uint8_t statuses[] = {ORD_STATUS_NONE, ORD_STATUS_NEW, ORD_STATUS_PARTIALLY_FILLED,
                                       ORD_STATUS_CANCELED};
    const uint64_t       id         = rnd(8) ? open_order_pick(f) : cl_ord_id_make(1, 1, 1 + rnd(f->seq + 1));
    const uint32_t       row        = order_find(f->g.orders, id);
    order_effect_t       effect;
    exec_report_t        rep = {.cl_ord_id     = id,
                                .account_id    = 1,
                                .strategy_id   = 1,
                                .instrument_id = 1,
                                .exec_type     = (uint8_t)types[rnd(sizeof types / sizeof types[0])],
                                .ord_status    = statuses[rnd(4)],
                                .side          = rnd(2) ? SIDE_BUY : SIDE_SELL,
                                .exec_id_lo    = 1 + rnd(m->exec_count + 3),
                                .last_qty      = (int64_t)rnd(30),
                                .last_px       = 9990,
                                .cum_qty       = rnd(3) ? -1 : (int64_t)rnd(40)};
    if (row != ORDER_NONE && rnd(20)) {
        const order_t *o  = order_at(f->g.orders, row);
        rep.account_id    = o->account_id;
        rep.instrument_id = o->instrument_id;
        rep.strategy_id   = o->strategy_id;
        rep.side          = rnd(10) ? o->side : rep.side;
    }
    if (rep.exec_type == EXEC_TYPE_REPLACED && rnd(2)) {
        rep.px        = 9990;
        rep.order_qty = 1 + (int64_t)rnd(40);
    }
    glue_report(&f->g, &rep, f->now, &effect);
    if (effect.booked) {
        m->pos[effect.account_id][effect.instrument_id] += effect.qty;
        m->strategy_pos[effect.strategy_id][effect.instrument_id] += effect.qty;
        if (rep.exec_type == EXEC_TYPE_TRADE) {
            m->exec_count = m->exec_count < 200 ? m->exec_count + 1 : m->exec_count;
        }
    }
    if (effect.alarms & 1U << ALARM_OVERFILL) {
        glue_control(&f->g, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, effect.account_id, 0);
    }
    if (effect.alarms & 1U << ALARM_ACCOUNT_UNRECONCILED) {
        glue_control(&f->g, CONTROL_UNRECONCILED, SCOPE_ACCOUNT, effect.account_id, 0);
    }
}

static void test_risk_random_histories(void **state)
{
    (void)state;
    static model_t m;
    const uint64_t seed  = seed_pick();
    const int      steps = getenv("HWAL_SOAK") ? 400000 : 20000;
    fix_t          f;
    rnd_state = seed;
    fix_open(&f);
    f.row.max_long = f.row.max_short = 300;
    f.strategy_row.max_long = f.strategy_row.max_short = 400;
    f.strategy.rate_n                                  = 20;
    f.account.rate_n                                   = 15;
    f.venue.rate_n                                     = 30;
    f.account.dup_n                                    = 1;
    f.account.value_w_ns                               = 2 * NS_PER_S;
    f.account.value_w_max                              = 40 * 20 * 10000;
    f.row.max_open_orders                              = 40;
    limits_apply(&f);
    memset(&m, 0, sizeof m);
    m.passed = calloc((size_t)steps, sizeof *m.passed);
    for (int i = 0; i < steps; i++) {
        f.now.mono_ns += (int64_t)rnd(60) * NS_PER_MS;
        book(&f, 1, 9990, 10010);
        book(&f, 2, 9990, 10010);
        if (m.passed_count > 400) { /* the model looks at all of them: drop what is older than any window */
            memmove(m.passed, m.passed + 200, (m.passed_count - 200) * sizeof *m.passed);
            m.passed_count -= 200;
        }
        if (rnd(2)) {
            random_request(&f, &m);
        } else {
            random_report(&f, &m);
        }
        sums_check(&f, &m);
        if (rnd(50) == 0) {
            const uint64_t hash = glue_hash(&f.g);
            glue_restart(&f.g);
            assert_true(glue_hash(&f.g) == hash);
        }
    }
    printf("%" PRIu64 " requests, %" PRIu64 " accepted\n", m.received, m.accepted);
    assert_true(m.accepted > m.received / 20 && m.accepted < m.received);
    free(m.passed);
    glue_close(&f.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_risk_validity_names),
        cmocka_unit_test(test_risk_validity_figures),
        cmocka_unit_test(test_risk_ids_are_seen_once_for_ever),
        cmocka_unit_test(test_risk_targets),
        cmocka_unit_test(test_risk_authority),
        cmocka_unit_test(test_risk_states),
        cmocka_unit_test(test_risk_everything_is_closed_at_first),
        cmocka_unit_test(test_risk_other_currency_has_no_limits),
        cmocka_unit_test(test_risk_reduce_only_after_overfill_and_latch_code),
        cmocka_unit_test(test_risk_market_data),
        cmocka_unit_test(test_risk_prices),
        cmocka_unit_test(test_risk_market_orders_are_limit_orders_at_the_collar),
        cmocka_unit_test(test_risk_size),
        cmocka_unit_test(test_risk_rates_by_scope),
        cmocka_unit_test(test_risk_limit_zero_allows_nothing),
        cmocka_unit_test(test_risk_cancels_over_budget_pass_and_are_told),
        cmocka_unit_test(test_risk_duplicates),
        cmocka_unit_test(test_risk_self_trade),
        cmocka_unit_test(test_risk_positions),
        cmocka_unit_test(test_risk_money),
        cmocka_unit_test(test_risk_open_orders_and_value),
        cmocka_unit_test(test_risk_inverse_counts_at_the_lower_price),
        cmocka_unit_test(test_risk_value_over_time),
        cmocka_unit_test(test_risk_soft_limits_are_told_once_a_second),
        cmocka_unit_test(test_risk_loss_levels),
        cmocka_unit_test(test_risk_drawdown_is_from_the_peak_of_the_day),
        cmocka_unit_test(test_risk_refuses_bad_set_up),
        cmocka_unit_test(test_risk_codes_have_names_and_units),
        cmocka_unit_test(test_risk_sums_over_63_bits_close_the_row),
        cmocka_unit_test(test_risk_values_both_sides_at_the_newest_price),
        cmocka_unit_test(test_risk_random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
