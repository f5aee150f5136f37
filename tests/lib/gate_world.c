#include "tests/lib/gate_world.h"

void limits_apply(fix_t *f)
{
    risk_t *r = f->g.risk;
    assert_int_equal(risk_limits_set(r, SCOPE_ACCOUNT, 1, 0, &f->account), ERR_OK);
    assert_int_equal(risk_limits_set(r, SCOPE_STRATEGY, 1, 0, &f->strategy), ERR_OK);
    assert_int_equal(risk_limits_set(r, SCOPE_VENUE, GLUE_VENUE, 0, &f->venue), ERR_OK);
    assert_int_equal(risk_limits_set(r, SCOPE_INSTRUMENT, 1, 0, &f->market), ERR_OK);
    assert_int_equal(risk_limits_set(r, SCOPE_ACCOUNT_INSTRUMENT, 1, 1, &f->row), ERR_OK);
    assert_int_equal(risk_limits_set(r, SCOPE_STRATEGY_INSTRUMENT, 1, 1, &f->strategy_row), ERR_OK);
}

void rights_apply(fix_t *f)
{
    assert_int_equal(risk_account_open(f->g.risk, 1, &f->rights), ERR_OK);
}

void book(fix_t *f)
{
    f->g.md[1].bid_px  = 9990;
    f->g.md[1].ask_px  = 10010;
    f->g.md[1].has_bid = f->g.md[1].has_ask = 1;
    f->g.md[1].book_mono_ns                 = f->now.mono_ns;
}

void later(fix_t *f, int64_t ns)
{
    f->now.mono_ns += ns;
    f->now.utc_ns += ns;
    book(f);
}

/* One account, one strategy, one instrument at 9990/10010, wide limits, everything open. */
void fix_open_cfg(fix_t *f, const instrument_def_t *def, const risk_cfg_t *cfg)
{
    memset(f, 0, sizeof *f);
    f->now    = (now_t){.mono_ns = 1000 * NS_PER_S, .utc_ns = 1700000000 * NS_PER_S};
    f->rights = (risk_account_cfg_t){.tenant_id = 1,
                                     .ccy       = ccy_pack("USDT"),
                                     .may_trade = 1,
                                     .may_short = 1,
                                     .ord_types = (1U << ORD_TYPE_COUNT) - 2,
                                     .venues    = 1U << GLUE_VENUE};
    glue_open(&f->g, *cfg, 64, 64);
    glue_instrument(&f->g, def, 1);
    rights_apply(f);
    assert_int_equal(risk_strategy_open(f->g.risk, 1, 1, 1), ERR_OK);
    glue_ready(&f->g);
    risk_limits_default(SCOPE_ACCOUNT, &f->account);
    risk_limits_default(SCOPE_STRATEGY, &f->strategy);
    risk_limits_default(SCOPE_VENUE, &f->venue);
    risk_limits_default(SCOPE_INSTRUMENT, &f->market);
    risk_limits_default(SCOPE_ACCOUNT_INSTRUMENT, &f->row);
    risk_limits_default(SCOPE_STRATEGY_INSTRUMENT, &f->strategy_row);
    f->account.max_value = f->account.max_gross = f->account.max_net = f->account.max_open_value = INT64_MAX;
    f->account.value_w_max = f->account.max_day_loss = f->account.max_realised_loss = INT64_MAX;
    f->account.max_drawdown                                                         = INT64_MAX;
    f->account.concentration_bp                                                     = 10000;
    f->account.dup_n                                                                = 1024;
    f->strategy.otr_max                                                             = 1 << 20;
    f->market.max_qty = f->market.max_value = f->row.max_qty = INT64_MAX;
    f->row.max_long = f->row.max_short = f->strategy_row.max_long = f->strategy_row.max_short = INT64_MAX;
    limits_apply(f);
    book(f);
}

void fix_open_with(fix_t *f, const instrument_def_t *def, uint32_t stp_mode)
{
    risk_cfg_t cfg;
    risk_cfg_default(&cfg);
    cfg.verdicts_max = 4;
    cfg.stp_mode     = stp_mode;
    fix_open_cfg(f, def, &cfg);
}

void fix_open(fix_t *f)
{
    const instrument_def_t def = glue_def(1);
    fix_open_with(f, &def, RISK_STP_MODE_CANCEL_NEWEST);
}

order_req_t request(fix_t *f, side_t side, int64_t qty, int64_t px)
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

/* A check only: nothing is entered into the order table. */
uint16_t check(fix_t *f, const order_req_t *req, risk_mode_t mode)
{
    const risk_in_t in = {.req       = req,
                          .ins       = &f->g.ins[1],
                          .md        = &f->g.md[1],
                          .orders    = f->g.orders,
                          .now       = f->now,
                          .order_seq = f->seq,
                          .mode      = mode};
    risk_check(f->g.risk, &in, &f->out);
    return f->out.verdict.code;
}

uint16_t ask(fix_t *f, const order_req_t *req)
{
    return glue_request(&f->g, req, f->now, &f->out);
}

uint16_t ask_new(fix_t *f, side_t side, int64_t qty, int64_t px)
{
    const order_req_t req = request(f, side, qty, px);
    return ask(f, &req);
}

void assert_scope(const fix_t *f, scope_t type, uint32_t id, int64_t observed, int64_t limit)
{
    assert_int_equal(f->out.verdict.scope_type, type);
    assert_int_equal(f->out.verdict.scope_id, id);
    assert_int_equal(f->out.verdict.observed, observed);
    assert_int_equal(f->out.verdict.limit, limit);
}

void control(fix_t *f, control_kind_t kind, scope_t scope, uint32_t id, int64_t value)
{
    glue_control(&f->g, kind, scope, id, value);
}
