/* The chain: the stages A to J in order until one denies, and the reservation when none did. */
#include "core/risk/gate_quick.h"

/* ---- reserve ----------------------------------------------------------------------------------------------------- */

/* One more passed order and message in every window. */
static inline void rates_pass(gate_t *g)
{
    for (int i = 0; i < g->scope_count; i++) {
        rate_pass(g->scopes[i].rate, g->scopes[i].times, g->risk->window_mask, g->in->now.mono_ns);
    }
    for (uint32_t left = g->soft_rates; left; left &= left - 1) {
        const int           bit   = __builtin_ctz(left);
        const rate_scope_t *scope = &g->scopes[bit % 3];
        risk_rate_t        *rate  = &scope->rate[RATE_TESTS[bit / 3].kind];
        if (soft_due(&rate->soft_ns, g->in->now)) {
            soft_tell(g, &rate->soft_ns, RATE_TESTS[bit / 3].code, scope->scope_type, scope->scope_id, rate->soft_n,
                      rate->n);
        }
    }
}

COLD static void soft_test(gate_t *g, int64_t *soft_ns, risk_code_t code, scope_t scope_type, uint32_t scope_id,
                           i128_t observed, i128_t limit)
{
    if (observed > 0 && observed * BP >= limit * g->risk->cfg.soft_bp && soft_due(soft_ns, g->in->now)) {
        soft_tell(g, soft_ns, code, scope_type, scope_id, observed, limit);
    }
}

COLD static void soft_position(gate_t *g, risk_row_t *row, scope_t scope_type, uint32_t scope_id)
{
    soft_test(g, &row->soft_ns[g->buy ? ROW_SOFT_LONG : ROW_SOFT_SHORT], g->buy ? RISK_MAX_LONG : RISK_MAX_SHORT,
              scope_type, scope_id, g->buy ? row_long(row) : row_short(row), g->buy ? row->max_long : row->max_short);
}

static inline bool row_below_half(const gate_t *g, const risk_row_t *row)
{
    return g->buy ? row_long(row) <= row->max_long >> 1 : row_short(row) <= row->max_short >> 1;
}

/* Off is far beyond what anything is used to. */
static inline bool capital_below_half(const gate_t *g)
{
    const risk_account_t *acc    = g->acc;
    const risk_tenant_t  *tenant = risk_tenant(g->risk, g->req->tenant_id);
    const bool            funds  = acc->cfg.funds == RISK_FUNDS_MARGIN ? acc->need <= acc->equity >> 1
                                   : acc->cfg.funds == RISK_FUNDS_CASH ? acc->buy_value <= acc->cash_free >> 1
                                                                       : true;
    return funds && acc->need <= acc->limits.max_credit >> 1 && tenant->need <= tenant->max_credit >> 1 &&
           g->risk->need <= g->risk->max_credit >> 1 &&
           acc->traded_value + acc->open_value <= acc->limits.max_turnover >> 1;
}

/* Nearly always less than half of everything is used, and no product of 128 bits is needed to see it. */
static inline bool below_half(const gate_t *g)
{
    const risk_account_t *acc = g->acc;
    const risk_limits_t  *l   = &acc->limits;
    return g->risk->cfg.soft_bp > BP / 2 && row_below_half(g, g->row) &&
           (!g->strategy || row_below_half(g, g->strategy_row)) &&
           (!(g->tenant_row->flags & ROW_LIMITS) || row_below_half(g, g->tenant_row)) &&
           acc->gross <= l->max_gross >> 1 && (g->buy ? acc->net_long : acc->net_short) <= l->max_net >> 1 &&
           g->row->open_orders <= g->row->max_open_orders >> 1 && acc->open_orders <= l->max_open_orders >> 1 &&
           acc->open_value <= l->max_open_value >> 1 && acc->value_sum <= l->value_w_max >> 1 && capital_below_half(g);
}

/* 229 to 231. 231 counts what is open, as the check does; funds of 0 are used up by anything. */
COLD static void soft_capital(risk_t *r, gate_t *g)
{
    risk_account_t      *acc     = g->acc;
    risk_tenant_t       *tenant  = risk_tenant(r, g->req->tenant_id);
    const uint32_t       account = g->req->account_id;
    const risk_limits_t *limits  = &acc->limits;
    int64_t             *soft    = acc->soft_ns;
    if (limits->max_credit != RISK_OFF) {
        soft_test(g, &soft[ACCOUNT_SOFT_CREDIT], RISK_CREDIT, SCOPE_ACCOUNT, account, acc->need, limits->max_credit);
    }
    if (tenant->max_credit != RISK_OFF) {
        soft_test(g, &tenant->soft_ns, RISK_CREDIT, SCOPE_TENANT, g->req->tenant_id, tenant->need, tenant->max_credit);
    }
    if (r->max_credit != RISK_OFF) {
        soft_test(g, &r->credit_soft_ns, RISK_CREDIT, SCOPE_GLOBAL, 0, r->need, r->max_credit);
    }
    if (acc->cfg.funds == RISK_FUNDS_MARGIN) {
        soft_test(g, &soft[ACCOUNT_SOFT_MARGIN], RISK_MARGIN, SCOPE_ACCOUNT, account, acc->need, acc->equity);
    }
    if (acc->cfg.funds == RISK_FUNDS_CASH) {
        soft_test(g, &soft[ACCOUNT_SOFT_CASH], RISK_MARGIN, SCOPE_ACCOUNT, account, acc->buy_value, acc->cash_free);
    }
    if (limits->max_turnover != RISK_OFF) {
        soft_test(g, &soft[ACCOUNT_SOFT_TURNOVER], RISK_MAX_TURNOVER, SCOPE_ACCOUNT, account,
                  acc->traded_value + acc->open_value, limits->max_turnover);
    }
}

/* What has left the window of 273 is not told as its use. */
COLD static void values_drop(const gate_t *g)
{
    risk_account_t     *acc  = g->acc;
    const risk_value_t *ring = gate_values(g);
    const uint64_t      mask = g->risk->value_mask;
    /* The request's own is the newest, and stays. */
    while (g->in->now.mono_ns - ring[acc->value_tail & mask].mono_ns >= acc->limits.value_w_ns) {
        acc->value_sum -= ring[acc->value_tail++ & mask].value;
    }
}

/* Limits that fill up, as they are used now that the request is reserved. */
COLD static void soft_limits(risk_t *r, gate_t *g)
{
    const uint32_t       account = g->req->account_id;
    const risk_limits_t *limits  = &g->acc->limits;
    risk_row_t          *row     = g->row;
    int64_t             *soft    = g->acc->soft_ns;
    soft_position(g, row, SCOPE_ACCOUNT_INSTRUMENT, account);
    if (g->strategy) {
        soft_position(g, g->strategy_row, SCOPE_STRATEGY_INSTRUMENT, g->req->strategy_id);
    }
    if (g->tenant_row->flags & ROW_LIMITS) {
        soft_position(g, g->tenant_row, SCOPE_TENANT_INSTRUMENT, g->req->tenant_id);
    }
    soft_test(g, &soft[ACCOUNT_SOFT_GROSS], RISK_MAX_GROSS, SCOPE_ACCOUNT, account, g->acc->gross, limits->max_gross);
    soft_test(g, &soft[g->buy ? ACCOUNT_SOFT_NET_LONG : ACCOUNT_SOFT_NET_SHORT], RISK_MAX_NET, SCOPE_ACCOUNT, account,
              g->buy ? g->acc->net_long : g->acc->net_short, limits->max_net);
    soft_test(g, &row->soft_ns[ROW_SOFT_ORDERS], RISK_MAX_OPEN_ORDERS_INSTRUMENT, SCOPE_ACCOUNT_INSTRUMENT, account,
              row->open_orders, row->max_open_orders);
    soft_test(g, &soft[ACCOUNT_SOFT_ORDERS], RISK_MAX_OPEN_ORDERS_ACCOUNT, SCOPE_ACCOUNT, account, g->acc->open_orders,
              limits->max_open_orders);
    soft_test(g, &soft[ACCOUNT_SOFT_OPEN_VALUE], RISK_MAX_OPEN_VALUE, SCOPE_ACCOUNT, account, g->acc->open_value,
              limits->max_open_value);
    values_drop(g);
    soft_test(g, &soft[ACCOUNT_SOFT_RATE_VALUE], RISK_RATE_VALUE, SCOPE_ACCOUNT, account, g->acc->value_sum,
              limits->value_w_max);
    soft_capital(r, g);
}

/* What was sent to the venue, whatever it was: 275 and 278. */
static inline void sent(risk_t *r, gate_t *g, int64_t qty)
{
    if (g->strategy) {
        risk_otr_sent(risk_flow(r, g->req->strategy_id, g->req->instrument_id), qty);
    }
    risk_budget_sent(g->venue, g->in->now);
}

/* What closes is counted apart, where sums are to be trusted. */
static inline void row_close(const gate_t *g, risk_row_t *row)
{
    if (row && !(row->flags & ROW_BROKEN)) {
        *(g->buy ? &row->close_buy_open : &row->close_sell_open) += g->qty;
    }
}

COLD static void rows_close(const gate_t *g)
{
    row_close(g, g->row);
    row_close(g, g->tenant_row);
    row_close(g, g->strategy_row);
}

/* What risk_moved and risk_row_value do to a part that was not there before, with the sums that were tested. */
static inline void reserve_new(risk_t *r, gate_t *g)
{
    risk_account_t *acc = g->acc;
    risk_row_t     *row = g->row;
    row_open(row, g->buy, g->qty);
    row_open(g->tenant_row, g->buy, g->qty);
    if (g->strategy_row) {
        row_open(g->strategy_row, g->buy, g->qty);
    }
    if (g->effect == POSITION_EFFECT_CLOSE) {
        rows_close(g);
    }
    row->open_value += g->value_after;
    if (g->home && g->ins->def.kind != INSTRUMENT_SPOT) {
        row->open_home += g->value_after;
        acc->open_value = g->open_value;
    } else {
        row->buy_value += g->buy && g->ins->def.kind == INSTRUMENT_SPOT ? g->value_after : 0;
        risk_open_revalue(r, g->ins, acc, row);
    }
    acc->open_orders++;
    risk_holders(r, g->req->instrument_id)[g->req->account_id / 64] |= 1ULL << (g->req->account_id & 63);
    risk_row_value(r, acc, row, g->money.value_long, g->money.value_short, g->money.need_own);
}

static inline void reserve(risk_t *r, gate_t *g)
{
    if (!g->counted) {
        rates_pass(g);
    }
    value_pass(r, g->acc, g->req->account_id, g->value, g->in->now.mono_ns);
    if (!g->amend) {
        order_pass(r, g->acc, g->req, dup_px(g), g->dup_slot, g->in->now.mono_ns);
    }
    g->row->mark_px    = g->ref_px;
    g->market->mark_px = g->ref_px;
    if (g->amend) { /* reserves the greater of old and new, which is not what was tested */
        const risk_move_t move = {.account_id = g->req->account_id,
                                  .before     = &g->before,
                                  .after      = &g->after,
                                  .value      = (i128_t)g->value_after - g->value_before};
        risk_moved(r, g->ins, g->acc, g->row, g->strategy_row, &move);
        risk_row_revalue(r, g->ins, g->acc, g->row);
    } else {
        reserve_new(r, g);
    }
    sent(r, g, g->qty);
    g->out->px       = g->px;
    g->out->px_value = g->px_value;
    if (!below_half(g)) {
        soft_limits(r, g);
    }
}

/* A cancel always passes; one over its budget is told. One that the engine makes itself (after a kill, a disconnect) or
 * that is sent in an auction does not count for 275. What is held is not at the venue. */
static void cancel_pass(risk_t *r, gate_t *g)
{
    rate_scope_t scopes[3];
    const int    n      = gate_scopes(g, scopes);
    const bool   counts = cl_ord_id_origin(g->req->cl_ord_id) != 0 && g->venue->session != SESSION_PRE_OPEN &&
                        g->market->session != SESSION_PRE_OPEN;
    if (g->mode == RISK_MODE_HOLD) {
        return;
    }
    for (int i = 0; i < n; i++) {
        risk_rate_t *rate = &scopes[i].rate[RATE_CANCELS];
        if (gate_rate_reached(g, &scopes[i], RATE_CANCELS, rate->n) && soft_due(&rate->soft_ns, g->in->now)) {
            soft_tell(g, &rate->soft_ns, RISK_RATE_CANCELS, scopes[i].scope_type, scopes[i].scope_id,
                      (i128_t)rate->n + 1, rate->n);
        }
        rate_ring(g, &scopes[i], RATE_CANCELS)[rate->passed++ & r->window_mask] = g->in->now.mono_ns;
    }
    if (!counts) {
        risk_budget_sent(g->venue, g->in->now);
        return;
    }
    sent(r, g, order_leaves(g->in->target));
}

/* ---- the chain --------------------------------------------------------------------------------------------------- */

/* What the engine keeps: as far as it can be judged before it leaves. */
static inline uint16_t chain_held(gate_t *g)
{
    const uint16_t code = check_size(g);
    return code ? code : check_rates(g);
}

static inline uint16_t chain(gate_t *g)
{
    uint16_t code;
    if ((code = check_names(g)) || (code = check_target(g))) {
        return code;
    }
    if (g->req->action == ORDER_ACTION_CANCEL) {
        return RISK_ACCEPTED;
    }
    g->effect = (uint8_t)(g->amend && g->in->target ? g->in->target->position_effect : g->req->position_effect);
    if ((code = check_figures(g)) || (code = check_authority(g)) || (code = check_state(g))) {
        return code;
    }
    if (g->mode == RISK_MODE_HOLD) {
        return chain_held(g);
    }
    if ((code = check_market(g)) || (code = check_price(g)) || (code = check_size(g)) || (code = check_rates(g)) ||
        (code = check_value_window(g)) || (code = check_budget(g)) || (g->repeats && (code = check_duplicate(g))) ||
        (code = check_order_to_trade(g)) || (code = check_self_trade(g)) || (code = check_position(g)) ||
        (code = check_money(g)) || (code = check_open(g))) {
        return code;
    }
    return check_capital(g);
}

uint16_t gate_chain(gate_t *g)
{
    return chain(g);
}

void gate_begin(gate_t *g, const risk_t *r, const risk_in_t *in, risk_out_t *out)
{
    begin(g, r, in, out);
    g->asking = true;
}

/* A denial. One that the engine answers by waiting (291) is held from now on, and so in the windows. */
COLD static void denied(risk_t *r, gate_t *g)
{
    const bool waits = g->out->stp == RISK_STP_MODE_CANCEL_OLDEST || g->out->stp == RISK_STP_MODE_DECREMENT;
    r->counts.rejected++;
    if (!waits) {
        risk_rejected(r, g->req->strategy_id, g->in->now);
    } else if (!g->counted) {
        rates_pass(g);
    }
}

/* The chain, for what is not plain. */
__attribute__((noinline)) static void check_each(risk_t *r, const risk_in_t *in, risk_out_t *out)
{
    const order_req_t *req = in->req;
    gate_t             g;
    begin(&g, r, in, out);
    r->counts.received++;
    const uint16_t code = chain(&g);
    if (!g.seen) { /* from now on it has been */
        r->seen[cl_ord_id_origin(req->cl_ord_id)] = cl_ord_id_mark(req->cl_ord_id);
        *risk_verdict_at(r, req->cl_ord_id) =
            (risk_verdict_t){.cl_ord_id = req->cl_ord_id, .seq_code = in->order_seq << 16 | code};
    }
    if (g.window_read) {
        g.acc->value_tail = g.window_tail;
        g.acc->value_sum  = g.window_sum;
    }
    if (code != RISK_ACCEPTED) {
        denied(r, &g);
        return;
    }
    r->counts.accepted++;
    if (req->action == ORDER_ACTION_CANCEL) {
        cancel_pass(r, &g);
    } else if (g.mode == RISK_MODE_HOLD) {
        rates_pass(&g);
    } else {
        reserve(r, &g);
    }
}

void risk_check(risk_t *r, const risk_in_t *in, risk_out_t *out)
{
    if (!quick_check(r, in, out)) {
        check_each(r, in, out);
    }
}
