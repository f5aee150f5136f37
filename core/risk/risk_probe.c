/* The question: the chain of risk_check, run as often as it needs, and nothing is changed. */
#include "core/risk/gate.h"

/* Is it the size of the order that stands against it? */
static bool too_large(uint16_t code)
{
    switch (code) {
    case RISK_QTY_NOT_ON_LOT:
    case RISK_ARITHMETIC_OVERFLOW:
    case RISK_SHORT_NOT_PERMITTED:
    case RISK_REDUCE_ONLY:
    case RISK_DAY_LOSS:
    case RISK_REALISED_LOSS:
    case RISK_DRAWDOWN:
    case RISK_MAX_ORDER_QTY:
    case RISK_MAX_ORDER_VALUE:
    case RISK_MAX_PARTICIPATION:
    case RISK_ORDER_TO_TRADE:
    case RISK_RATE_VALUE:
    case RISK_MAX_LONG:
    case RISK_MAX_SHORT:
    case RISK_MAX_GROSS:
    case RISK_MAX_NET:
    case RISK_CONCENTRATION:
    case RISK_MAX_OPEN_VALUE:
    case RISK_CREDIT:
    case RISK_MARGIN:
    case RISK_MAX_TURNOVER: return true;
    default: return false;
    }
}

static bool too_small(uint16_t code)
{
    return code == RISK_QTY_BELOW_MIN || code == RISK_NOTIONAL_BELOW_MIN;
}

/* The largest quantity on the lot, below what was asked for, that passes. What is too large stays so with more, what is
 * too small with less, and every other denial is that of any quantity; but a duplicate (277) is so in one quantity only,
 * so it is left out of the search and stepped over at its end. */
static int64_t largest_passing(gate_t *g, order_req_t *req, int64_t asked)
{
    const int64_t lot = g->in->ins->def.lot;
    int64_t       lo = 0, hi = asked / lot + (asked % lot != 0); /* in lots: not found, too large */
    bool          found = false;
    g->repeats          = false;
    while (hi - lo > 1) {
        const int64_t mid   = lo + (hi - lo) / 2;
        req->qty            = mid * lot;
        const uint16_t code = gate_chain(g);
        if (code == RISK_ACCEPTED || too_small(code)) {
            found = code == RISK_ACCEPTED;
            lo    = mid;
        } else if (too_large(code)) {
            hi = mid;
        } else {
            return 0;
        }
    }
    g->repeats = true;
    for (; found && lo > 0; lo--) {
        req->qty            = lo * lot;
        const uint16_t code = gate_chain(g);
        if (code != RISK_DUPLICATE_ORDER) {
            return code == RISK_ACCEPTED ? req->qty : 0;
        }
    }
    return 0;
}

/* Would this use, rounded down, be more than most? A product and no division: nearly always it is not. */
static inline bool use_raises(int64_t most, i128_t used, i128_t limit)
{
    return used > 0 && used * RISK_SCORE_MAX >= (most + 1) * limit;
}

static inline void use_add(int64_t *most, i128_t used, i128_t limit)
{
    if (use_raises(*most, used, limit)) {
        *most = used >= limit ? RISK_SCORE_MAX : (int64_t)(used * RISK_SCORE_MAX / limit);
    }
}

/* 271, 272: how many passed events lie in the window is the largest number that rate_reached; looked for from the first
 * one up that is of interest, and to n - 1, with which one more uses it up. */
static void use_add_rate(const gate_t *g, int64_t *most, const rate_scope_t *scope, risk_rate_kind_t kind)
{
    const int64_t n  = scope->rate[kind].n;
    int64_t       lo = *most * n / RISK_SCORE_MAX, hi = lo + 1;
    if (*most == RISK_SCORE_MAX || (lo > 0 && !gate_rate_reached(g, scope, kind, lo))) {
        return;
    }
    for (int64_t step = 1; hi < n && gate_rate_reached(g, scope, kind, hi); step *= 2) {
        lo = hi;
        hi = min_i64(n, hi + step);
    }
    while (hi - lo > 1) {
        const int64_t mid                                     = lo + (hi - lo) / 2;
        *(gate_rate_reached(g, scope, kind, mid) ? &lo : &hi) = mid;
    }
    use_add(most, (i128_t)lo + 1, n);
}

static bool value_left(const gate_t *g, const risk_value_t *ring, uint64_t at)
{
    return g->in->now.mono_ns - ring[at & g->risk->value_mask].mono_ns >= g->acc->limits.value_w_ns;
}

/* 273: exact. How many entries are in the window is found by bisection; what left it is taken off the sum one by one, but
 * only while the rest may be more than most. */
static void use_add_value_window(const gate_t *g, int64_t *most)
{
    const risk_account_t *acc  = g->acc;
    const risk_value_t   *ring = gate_values(g);
    const i128_t          cap  = g->risk->cfg.value_window_max;
    uint64_t              at   = acc->value_tail;
    i128_t                sum  = acc->value_sum + g->value;
    if (use_raises(*most, (i128_t)(acc->value_head - at) + 1, cap)) {
        uint64_t lo = at, hi = acc->value_head; /* the first in the window */
        while (lo < hi) {
            const uint64_t mid = lo + (hi - lo) / 2;
            if (value_left(g, ring, mid)) {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        use_add(most, (i128_t)(acc->value_head - lo) + 1, cap);
    }
    for (; at != acc->value_head && use_raises(*most, sum, acc->limits.value_w_max) && value_left(g, ring, at); at++) {
        sum -= ring[at & g->risk->value_mask].value;
    }
    use_add(most, sum, acc->limits.value_w_max);
}

/* 229 to 231, each where it is tested. */
static void use_add_capital(const gate_t *g, int64_t *most)
{
    const risk_account_t *acc    = g->acc;
    const risk_tenant_t  *tenant = risk_tenant(g->risk, g->req->tenant_id);
    const i128_t          need   = g->money.need;
    const i128_t          more   = risk_need_firm(g->risk, acc, need) - acc->need_firm;
    if (g->money.raises && acc->limits.max_credit != RISK_OFF) {
        use_add(most, need, acc->limits.max_credit);
    }
    if (g->money.raises && tenant->max_credit != RISK_OFF) {
        use_add(most, tenant->need + more, tenant->max_credit);
    }
    if (g->money.raises && g->risk->max_credit != RISK_OFF) {
        use_add(most, g->risk->need + more, g->risk->max_credit);
    }
    if (g->money.raises && acc->cfg.funds == RISK_FUNDS_MARGIN) {
        use_add(most, need, acc->equity);
    }
    if (acc->cfg.funds == RISK_FUNDS_CASH && g->buy && g->ins->def.kind == INSTRUMENT_SPOT) {
        use_add(most, gate_buy_value(g), acc->cash_free);
    }
    if (acc->limits.max_turnover != RISK_OFF) {
        use_add(most, acc->traded_value + gate_open_value(g), acc->limits.max_turnover);
    }
}

/* Use of the limit that is used most, with the request in place. A set that is missing is all zeros: used up. */
static uint16_t score_of(gate_t *g)
{
    const risk_limits_t *account = &g->acc->limits, *market = &g->market->limits;
    const risk_row_t    *row = g->row, *strategy = g->strategy_row, *tenant = g->tenant_row;
    const money_t       *m = &g->money;
    rate_scope_t         scopes[3];
    int64_t              most = 0;
    if (!gate_money(g)) {
        return RISK_SCORE_MAX;
    }
    use_add(&most, g->req->qty, min_i64(market->max_qty, row->max_qty));
    use_add(&most, g->value, min_i64(market->max_value, account->max_value));
    use_add(&most, g->buy ? g->long_then : g->short_then, g->buy ? row->max_long : row->max_short);
    if (strategy) {
        use_add(&most, gate_strategy_then(g), g->buy ? strategy->max_long : strategy->max_short);
    }
    if (tenant->flags & ROW_LIMITS) {
        use_add(&most, gate_tenant_then(g), g->buy ? tenant->max_long : tenant->max_short);
    }
    if (m->raises) {
        use_add(&most, m->gross, account->max_gross);
        use_add(&most, mul_i64(m->gross_own, BP), mul_i64(account->max_gross, account->concentration_bp));
    }
    use_add(&most, m->net, account->max_net);
    use_add(&most, (i128_t)row->open_orders + 1, row->max_open_orders);
    use_add(&most, (i128_t)g->acc->open_orders + 1, account->max_open_orders);
    use_add(&most, gate_open_value(g), account->max_open_value);
    use_add_capital(g, &most);
    for (int i = 0, n = gate_scopes(g, scopes); i < n; i++) {
        use_add_rate(g, &most, &scopes[i], RATE_ORDERS);
        use_add_rate(g, &most, &scopes[i], RATE_MESSAGES);
    }
    use_add_value_window(g, &most);
    return (uint16_t)most;
}

void risk_probe(const risk_t *r, const risk_in_t *in, risk_probe_t *out)
{
    order_req_t     req   = *in->req;
    const risk_in_t asked = {.req       = &req,
                             .ins       = in->ins,
                             .md        = in->md,
                             .orders    = in->orders,
                             .now       = in->now,
                             .order_seq = in->order_seq,
                             .mode      = in->mode};
    risk_out_t      said;
    gate_t          g;
    assert(req.action == ORDER_ACTION_NEW);
    gate_begin(&g, r, &asked, &said);
    const uint16_t code = gate_chain(&g);
    *out                = (risk_probe_t){.verdict = said.verdict, .score = RISK_SCORE_MAX};
    if (g.sized && g.px_known) {
        out->px    = g.px;
        out->score = g.ref.known ? score_of(&g) : RISK_SCORE_MAX;
    }
    if (code == RISK_ACCEPTED) {
        out->adjusted_qty = req.qty;
    } else if (too_large(code)) {
        out->adjusted_qty = largest_passing(&g, &req, req.qty);
    }
}
