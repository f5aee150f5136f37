/* gate_exposure: stage I: what the worst case would be with this request in place. */
#pragma once

#include "core/risk/gate_rates.h"

/* What the request does to the worst case of a row that is not the account's: L for a buy, K for a sell. */
static inline i128_t row_then(const gate_t *g, const risk_row_t *row)
{
    return (i128_t)(g->buy ? row_long(row) : row_short(row)) - g->before.qty + g->qty;
}

i128_t gate_strategy_then(const gate_t *g)
{
    return row_then(g, g->strategy_row);
}

i128_t gate_tenant_then(const gate_t *g)
{
    return row_then(g, g->tenant_row);
}

/* 221, 222. A tenant x instrument without limits of its own is bounded by those of its accounts. */
static inline uint16_t check_position(gate_t *g)
{
    const risk_code_t code  = g->buy ? RISK_MAX_LONG : RISK_MAX_SHORT;
    const int64_t     then  = g->buy ? g->long_then : g->short_then;
    const int64_t     limit = g->buy ? g->row->max_long : g->row->max_short;
    if (then > limit) {
        return deny_row(g, code, then, limit);
    }
    if (g->strategy) {
        const int64_t max = g->buy ? g->strategy_row->max_long : g->strategy_row->max_short;
        if (row_then(g, g->strategy_row) > max) {
            return deny(g, code, SCOPE_STRATEGY_INSTRUMENT, g->req->strategy_id, row_then(g, g->strategy_row), max);
        }
    }
    if (g->tenant_row->flags & ROW_LIMITS) {
        const int64_t max = g->buy ? g->tenant_row->max_long : g->tenant_row->max_short;
        if (row_then(g, g->tenant_row) > max) {
            return deny(g, code, SCOPE_TENANT_INSTRUMENT, g->req->tenant_id, row_then(g, g->tenant_row), max);
        }
    }
    return RISK_ACCEPTED;
}

/* Value of L or K at the reference price; what the row has of it serves when neither price nor quantity moved. What was
 * converted is always converted again: the rate may have moved. */
static inline bool worst_value(const gate_t *g, int64_t px, int64_t qty, int64_t qty_now, int64_t value_now,
                               int64_t *out)
{
    if (qty == qty_now && px == g->row->mark_px && g->home) {
        *out = value_now;
        return value_now != INT64_MAX && value_now != -INT64_MAX;
    }
    if (!value_at(g, px, abs_i64(qty), out)) {
        return false;
    }
    *out = qty < 0 ? -*out : *out;
    return true;
}

bool gate_money(gate_t *g)
{
    const risk_row_t *row = g->row;
    money_t          *m   = &g->money;
    if (!worst_value(g, g->ref_px, g->long_then, g->long_now, row->value_long, &m->value_long) ||
        !worst_value(g, g->ref_px, g->short_then, g->short_now, row->value_short, &m->value_short)) {
        return false;
    }
    m->raises =
        max_i64(abs_i64(g->long_then), abs_i64(g->short_then)) > max_i64(abs_i64(g->long_now), abs_i64(g->short_now));
    m->gross_own = gross_of(m->value_long, m->value_short);
    m->need_own  = risk_need_of(g->market, m->gross_own);
    m->need      = g->acc->need - row->need + m->need_own;
    m->gross     = g->acc->gross - gross_of(row->value_long, row->value_short) + m->gross_own;
    m->net       = g->buy ? g->acc->net_long - row->value_long + m->value_long
                          : g->acc->net_short - row->value_short + m->value_short;
    return true;
}

/* 223 to 225. */
static inline uint16_t check_money(gate_t *g)
{
    const risk_limits_t *limits = &g->acc->limits;
    const money_t       *m      = &g->money;
    if (!gate_money(g)) {
        return deny_row(g, RISK_ARITHMETIC_OVERFLOW, g->buy ? g->long_then : g->short_then, INT64_MAX);
    }
    if (m->raises && m->gross > limits->max_gross) {
        return deny_account(g, RISK_MAX_GROSS, m->gross, limits->max_gross);
    }
    if (m->net > limits->max_net) {
        return deny_account(g, RISK_MAX_NET, m->net, limits->max_net);
    }
    if (m->raises && mul_i64(m->gross_own, BP) > mul_i64(limits->max_gross, limits->concentration_bp)) {
        return deny_row(g, RISK_CONCENTRATION, m->gross_own, mul_i64(limits->max_gross, limits->concentration_bp) / BP);
    }
    return RISK_ACCEPTED;
}

/* A sum of the account with a change of its row's, where what settles in another currency is converted as a sum. */
static inline i128_t sum_then(const gate_t *g, i128_t sum, i128_t of_row, i128_t of_row_home)
{
    const i128_t more = (i128_t)g->value_after - g->value_before;
    return g->home ? sum + more : sum - of_row_home + risk_home_sum(g->risk, g->acc, g->ins, of_row + more);
}

i128_t gate_open_value(const gate_t *g)
{
    return sum_then(g, g->acc->open_value, g->row->open_value, g->row->open_home);
}

i128_t gate_buy_value(const gate_t *g)
{
    return sum_then(g, g->acc->buy_value, g->row->buy_value, g->row->buy_home);
}

/* 226 to 228. */
static inline uint16_t check_open(gate_t *g)
{
    const risk_limits_t *limits = &g->acc->limits;
    if (!g->amend && g->row->open_orders >= g->row->max_open_orders) {
        return deny_row(g, RISK_MAX_OPEN_ORDERS_INSTRUMENT, (i128_t)g->row->open_orders + 1, g->row->max_open_orders);
    }
    if (!g->amend && g->acc->open_orders >= limits->max_open_orders) {
        return deny_account(g, RISK_MAX_OPEN_ORDERS_ACCOUNT, (i128_t)g->acc->open_orders + 1, limits->max_open_orders);
    }
    g->open_value = gate_open_value(g);
    if (g->open_value > limits->max_open_value) {
        return deny_account(g, RISK_MAX_OPEN_VALUE, g->open_value, limits->max_open_value);
    }
    return RISK_ACCEPTED;
}

/* 229: margin of the worst case, of the account, and in the firm's money of tenant and firm. */
static inline uint16_t check_credit(gate_t *g)
{
    const risk_account_t *acc    = g->acc;
    const i128_t          need   = g->money.need;
    const risk_tenant_t  *tenant = risk_tenant(g->risk, g->req->tenant_id);
    if (acc->limits.max_credit != RISK_OFF && need > acc->limits.max_credit) {
        return deny_account(g, RISK_CREDIT, need, acc->limits.max_credit);
    }
    if (tenant->max_credit != RISK_OFF || g->risk->max_credit != RISK_OFF) {
        const i128_t more = risk_need_firm(g->risk, acc, need) - acc->need_firm;
        if (tenant->max_credit != RISK_OFF && tenant->need + more > tenant->max_credit) {
            return deny(g, RISK_CREDIT, SCOPE_TENANT, g->req->tenant_id, tenant->need + more, tenant->max_credit);
        }
        if (g->risk->max_credit != RISK_OFF && g->risk->need + more > g->risk->max_credit) {
            return deny(g, RISK_CREDIT, SCOPE_GLOBAL, 0, g->risk->need + more, g->risk->max_credit);
        }
    }
    return RISK_ACCEPTED;
}

/* 230: own funds cover the margin; or what is bought for cash is paid for. */
static inline uint16_t check_funds(gate_t *g)
{
    const risk_account_t *acc  = g->acc;
    const i128_t          need = g->money.need;
    if (acc->cfg.funds == RISK_FUNDS_MARGIN && g->money.raises && need > acc->equity) {
        return deny_account(g, RISK_MARGIN, need, acc->equity);
    }
    if (acc->cfg.funds == RISK_FUNDS_CASH && g->buy && g->ins->def.kind == INSTRUMENT_SPOT) {
        const i128_t spent = gate_buy_value(g);
        if (spent > acc->cash_free) {
            return deny_account(g, RISK_MARGIN, spent, acc->cash_free);
        }
    }
    return RISK_ACCEPTED;
}

/* 229 to 231. Like 223, a need of margin stops no order that does not raise it: what lowers exposure stays possible. */
static inline uint16_t check_capital(gate_t *g)
{
    const risk_account_t *acc  = g->acc;
    uint16_t              code = g->money.raises ? check_credit(g) : RISK_ACCEPTED;
    if (code || (acc->cfg.funds != RISK_FUNDS_NONE && (code = check_funds(g)))) {
        return code;
    }
    if (acc->limits.max_turnover != RISK_OFF && acc->traded_value + g->open_value > acc->limits.max_turnover) {
        return deny_account(g, RISK_MAX_TURNOVER, acc->traded_value + g->open_value, acc->limits.max_turnover);
    }
    return RISK_ACCEPTED;
}

/* ---- before the chain and behind it ------------------------------------------------------------------------------- */

/* Has the id been seen? Denied ids count as seen. */
static inline bool id_seen(const risk_t *r, uint64_t cl_ord_id)
{
    return cl_ord_id_seq(cl_ord_id) == 0 || cl_ord_id_mark(cl_ord_id) <= r->seen[cl_ord_id_origin(cl_ord_id)];
}

/* A verdict that passes, until somebody says otherwise. Field by field: zeroing it as a whole first costs more than a
 * stage of the chain. */
static inline void verdict_begin(const risk_t *r, const risk_in_t *in, risk_out_t *out)
{
    const order_req_t *req = in->req;
    verdict_t         *v   = &out->verdict;
    v->cl_ord_id           = req->cl_ord_id;
    v->order_seq           = in->order_seq;
    v->observed            = 0;
    v->limit               = 0;
    v->engine_utc_ns       = in->now.utc_ns;
    v->scope_id            = 0;
    v->instrument_id       = req->instrument_id;
    v->account_id          = req->account_id;
    v->strategy_id         = req->strategy_id;
    v->limit_version       = r->limit_version;
    v->code                = RISK_ACCEPTED;
    v->scope_type          = SCOPE_NONE;
    v->action              = req->action;
    out->px                = 0;
    out->px_value          = 0;
    out->soft_count        = 0;
    out->stp               = RISK_STP_MODE_NONE;
}
_Static_assert(sizeof(verdict_t) == 64, "every field of a verdict is set above");

/* Not zeroed: each stage sets what later ones read. */
static inline void begin(gate_t *g, const risk_t *r, const risk_in_t *in, risk_out_t *out)
{
    const order_req_t *req = in->req;
    g->risk                = r;
    g->in                  = in;
    g->out                 = out;
    g->req                 = req;
    g->mode                = in->mode;
    g->buy                 = req->side == SIDE_BUY;
    g->amend               = req->action == ORDER_ACTION_REPLACE;
    g->asking              = false;
    g->seen                = id_seen(r, req->cl_ord_id);
    g->repeats             = !g->amend;
    g->counted             = in->mode == RISK_MODE_RELEASE && g->seen;
    g->sized               = false;
    g->px_known            = false;
    g->window_read         = false;
    g->strategy            = NULL;
    g->strategy_row        = NULL;
    verdict_begin(r, in, out);
}

/* One more open order in a row; the sum that is told not to fit closes the row, as risk_row_add does. */
static inline void row_open(risk_row_t *row, bool buy, int64_t qty)
{
    int64_t open, worst;
    bool    wide = __builtin_add_overflow(buy ? row->buy_open : row->sell_open, qty, &open);
    wide |= buy ? __builtin_add_overflow(open, row->pos, &worst) : __builtin_sub_overflow(open, row->pos, &worst);
    row->open_orders++;
    if (wide || (row->flags & ROW_BROKEN)) {
        row->flags |= ROW_BROKEN;
        return;
    }
    *(buy ? &row->buy_open : &row->sell_open) = open;
}
