/* gate_quick: an order that plainly passes: a plain new limit order of a strategy, everything open, no limit used to
 * half, so that no stage of the chain would deny it and nothing would be told. What is decided here is only
 * that the chain would let it pass: each test is the chain's or a stricter one, all of them at once and in no order, and
 * whatever is not plain goes through the chain, which says what and why. A build with DCHECK runs the chain as well and
 * compares.
 *
 * Cost      what is touched is asked for at once, before the first test: an order of an account and instrument that are
 *           cold waits for memory once. Sums are in 64 bits where they are figures of one order, in 128 where they are
 *           of an account; whatever overflows is not plain. */
#pragma once

#include "core/risk/gate_exposure.h"

typedef struct quick {
    risk_t             *risk;
    const order_req_t  *req;
    const instrument_t *ins;
    const risk_md_t    *md;
    risk_account_t     *acc;
    risk_strategy_t    *strategy;
    risk_venue_t       *venue;
    risk_instrument_t  *market;
    risk_row_t         *row;
    risk_row_t         *strategy_row;
    risk_row_t         *tenant_row;
    risk_flow_t        *flow;
    now_t               now;
    bool                buy;
    uint8_t             dup_slot;
    int64_t             unit;          /* as of the gate */
    int64_t            *account_times; /* rings of pass times */
    int64_t            *strategy_times;
    int64_t            *venue_times;
    int64_t             ref_px;
    int64_t             px_value;
    int64_t             value;
    int64_t             value_long; /* with the order in place */
    int64_t             value_short;
    int64_t             need_own;
    i128_t              open_value;
} quick_t;

#ifdef __OPTIMIZE__
#define QUICK static inline __attribute__((always_inline))
#else
#define QUICK static inline /* one copy of each: that is what its branches are counted in */
#endif

/* Half of a limit, rounded down: below where soft limits begin. */
#define QUICK_BP (BP / 2)
QUICK int64_t cut(int64_t limit)
{
    return limit >> 1;
}

/* Lines that an order touches wherever it goes: asked for before any is read. */
QUICK void quick_prefetch(const quick_t *q)
{
    const risk_t *r = q->risk;
    __builtin_prefetch(q->row, 1);
    __builtin_prefetch(&q->row->mark_px, 1);
    __builtin_prefetch(q->strategy_row, 1);
    __builtin_prefetch(q->tenant_row, 1);
    __builtin_prefetch(q->flow, 1);
    __builtin_prefetch(q->market, 1);
    __builtin_prefetch(&q->market->bounds.far_up);
    __builtin_prefetch(&q->market->limits.max_md_age_ns);
    __builtin_prefetch(&q->market->limits.adv_bp);
    __builtin_prefetch(&q->acc->dup_ns[q->dup_slot], 1);
    __builtin_prefetch(risk_verdict_at(r, q->req->cl_ord_id), 1);
    __builtin_prefetch(risk_holders(r, q->req->instrument_id), 1);
}

/* Names: is it a plain order of what exists? Fills in the objects. */
QUICK bool quick_names(quick_t *q, const risk_in_t *in)
{
    const risk_t       *r     = q->risk;
    const order_req_t  *req   = q->req;
    const instrument_t *ins   = q->ins;
    const bool          plain = req->action == ORDER_ACTION_NEW && req->ord_type == ORD_TYPE_LIMIT &&
                       (req->tif == TIF_DAY || req->tif == TIF_GTC) &&
                       (req->side == SIDE_BUY || req->side == SIDE_SELL) &&
                       (req->exec_inst & ~EXEC_INST_POST_ONLY) == 0 && req->position_effect == POSITION_EFFECT_NONE;
    if (!plain || in->mode != RISK_MODE_ORDER || !ins || !q->md || r->cfg.soft_bp <= QUICK_BP ||
        id_seen(r, req->cl_ord_id)) {
        return false;
    }
    if (req->instrument_id - 1 >= r->cfg.instruments_max || ins->def.instrument_id != req->instrument_id ||
        ins->def.venue_id - 1U >= r->cfg.venues_max || req->account_id - 1 >= r->cfg.accounts_max ||
        req->strategy_id - 1 >= r->cfg.strategies_max || req->tenant_id > r->cfg.tenants_max) {
        return false;
    }
    q->acc          = risk_account(r, req->account_id);
    q->market       = risk_instrument(r, req->instrument_id);
    q->row          = risk_row(r, req->account_id, req->instrument_id);
    q->strategy_row = risk_strategy_row(r, req->strategy_id, req->instrument_id);
    q->tenant_row   = risk_tenant_row(r, req->tenant_id, req->instrument_id);
    q->flow         = risk_flow(r, req->strategy_id, req->instrument_id);
    q->dup_slot     = dup_slot(req, req->px);
    quick_prefetch(q);
    q->strategy       = risk_strategy(r, req->strategy_id);
    q->venue          = risk_venue(r, ins->def.venue_id);
    q->account_times  = times_ring(r, req->account_id);
    q->strategy_times = times_ring(r, strategy_ring(r, req->strategy_id));
    q->venue_times    = times_ring(r, venue_ring(r, ins->def.venue_id));
    return true;
}

/* Rights and states, most of them words that are compared as a whole. */
QUICK bool quick_open(const quick_t *q, const risk_in_t *in)
{
    const risk_account_cfg_t *rights = &q->acc->cfg;
    const uint32_t            tenant = q->req->tenant_id;
    const uint32_t            venue  = q->ins->def.venue_id;
    const uint64_t            market = word_at(q->market) & ~((uint64_t)SESSION_OPEN << 24);
    const uint64_t            shut =
        ((word_at(&q->risk->killed) & 0xffffff) ^ OPEN_RISK) | (word_at(q->acc) ^ OPEN_ACCOUNT) |
        (word_at(q->venue) ^ OPEN_VENUE) | (market ^ OPEN_MARKET) | (word_at(&q->strategy->killed) ^ OPEN_STRATEGY) |
        (q->row->flags ^ ROW_LIMITS) | (q->strategy_row->flags ^ ROW_LIMITS) | (q->tenant_row->flags & ROW_BROKEN) |
        risk_tenant(q->risk, tenant)->killed | (tenant ^ rights->tenant_id) | (tenant ^ q->strategy->tenant_id) |
        (q->acc->venues_killed >> venue & 1) | (~rights->venues >> venue & 1) | rights->hedging |
        (~(uint32_t)rights->ord_types & BIT(ORD_TYPE_LIMIT)) | (rights->may_trade ^ 1);
    int64_t age;
    return shut == 0 && q->strategy->approved_version != 0 && risk_is_home(q->acc, q->ins) && order_room(in->orders) &&
           !__builtin_sub_overflow(q->now.mono_ns, q->req->created_mono_ns, &age) &&
           age <= q->risk->cfg.max_request_age_ns && age >= -q->risk->cfg.max_ahead_ns;
}

QUICK bool quick_worth(const quick_t *q, int64_t px, int64_t qty, int64_t *out)
{
    int64_t v;
    if (q->unit > 0 && !__builtin_mul_overflow(px, qty, &v) && !__builtin_mul_overflow(v, q->unit, out)) {
        return true; /* px > 0, qty >= 0 */
    }
    return instrument_notional(q->ins, px, qty, out);
}

/* Price and size. */
QUICK bool quick_price(quick_t *q)
{
    const instrument_def_t *def    = &q->ins->def;
    const risk_limits_t    *limits = &q->market->limits;
    const order_req_t      *req    = q->req;
    const risk_md_t        *md     = q->md;
    risk_bounds_t          *b      = &q->market->bounds;
    int64_t                 px2;
    if (req->px <= 0 || req->qty <= 0 || req->qty < def->min_qty || !divides(def->lot, req->qty) ||
        !divides(px_tick(q->ins, req->px), req->px)) {
        return false;
    }
    if (!md->has_bid || !md->has_ask || md->feed_gap || md->bid_px <= 0 || md->bid_px >= md->ask_px ||
        q->now.mono_ns - md->book_mono_ns > limits->max_md_age_ns ||
        __builtin_add_overflow(md->bid_px, md->ask_px, &px2)) {
        return false;
    }
    if (b->px2 != px2 || b->version != q->risk->limit_version) {
        *b = bounds_make(limits, px2, q->risk->limit_version);
    }
    if (md->ask_px - md->bid_px > b->max_spread || q->now.mono_ns < q->market->pause_until_ns ||
        (q->buy ? req->px > b->collar_up || req->px < b->far_down : req->px < b->collar_down || req->px > b->far_up) ||
        ((def->band_lower | def->band_upper) != 0 && (req->px < def->band_lower || req->px > def->band_upper))) {
        return false;
    }
    q->ref_px = def->kind == INSTRUMENT_INVERSE ? px2 >> 1 : (px2 >> 1) + (px2 & 1);
    return req->qty <= limits->max_qty && req->qty <= q->row->max_qty && participates(q->market, md, q->buy, req->qty);
}

QUICK bool quick_value(quick_t *q)
{
    const order_req_t *req = q->req;
    int64_t            own;
    q->unit     = risk_unit(&q->ins->def);
    q->px_value = q->buy ? req->px : max_i64(req->px, q->ref_px);
    if (!quick_worth(q, req->px, req->qty, &own) || own < q->ins->def.min_notional) {
        return false;
    }
    q->value = own;
    if (q->px_value != req->px) {
        int64_t at_ref;
        if (!quick_worth(q, q->px_value, req->qty, &at_ref)) {
            return false;
        }
        q->value = max_i64(own, at_ref);
    }
    return q->value <= q->market->limits.max_value && q->value <= q->acc->limits.max_value;
}

/* 271 and 272 of one scope. Its count of passes that surely stay below the soft limits was made by one look at the ring:
 * time only frees. Above the soft limit, what was told within the second is not told again. */
QUICK bool quick_rate(const quick_t *q, risk_rate_t *rate, const int64_t *ring)
{
    const uint64_t mask = q->risk->window_mask;
    if (rate->free == 0) {
        rate->free = rate_free(rate, ring, mask, q->now.mono_ns);
    }
    if (rate->free > 0) {
        return true;
    }
    for (int k = RATE_ORDERS; k <= RATE_MESSAGES; k++) {
        if (rate_reached(&rate[k], ring, mask, rate[k].soft_n - 1, q->now.mono_ns) &&
            (soft_due(&rate[k].soft_ns, q->now) || rate_reached(&rate[k], ring, mask, rate[k].n, q->now.mono_ns))) {
            return false;
        }
    }
    return true;
}

/* 273: what is old leaves the sum a line at a time; what stays in it too long only makes it too large. */
QUICK bool quick_window(quick_t *q)
{
    risk_account_t     *acc  = q->acc;
    const risk_value_t *ring = values_ring(q->risk, q->req->account_id);
    int64_t             sum;
    if ((acc->value_head & 3) == 0) {
        for (int n = 0; n < 8 && acc->value_tail != acc->value_head; n++) {
            const risk_value_t *oldest = &ring[acc->value_tail & q->risk->value_mask];
            if (q->now.mono_ns - oldest->mono_ns < acc->limits.value_w_ns) {
                break;
            }
            acc->value_sum -= oldest->value;
            acc->value_tail++;
        }
    }
    return acc->value_head - acc->value_tail < q->risk->cfg.value_window_max && fit_i64(acc->value_sum, &sum) &&
           !__builtin_add_overflow(sum, q->value, &sum) && sum <= cut(acc->limits.value_w_max);
}

/* 278 and 275. */
QUICK bool quick_budgets(const quick_t *q)
{
    const risk_venue_t *venue = q->venue;
    const int64_t       max   = q->strategy->limits.otr_max;
    int64_t             used, most, orders, qty;
    if (q->now.utc_ns < venue->hold_until_utc_ns) {
        return false;
    }
    if (venue->budget_limit > 0 &&
        (__builtin_mul_overflow(risk_budget_used(venue, q->now) + 1, BP, &used) ||
         __builtin_mul_overflow(venue->budget_limit, venue->limits.budget_bp, &most) || used > most)) {
        return false;
    }
    if ((int64_t)q->flow->otr_orders < q->strategy->limits.otr_start) {
        return true;
    }
    if (q->flow->otr_trades == 0) {
        return (int64_t)q->flow->otr_orders < max;
    }
    /* A product that does not fit is more than any figure of 64 bits. */
    return (__builtin_mul_overflow(max + 1, (int64_t)q->flow->otr_trades, &orders) ||
            (int64_t)q->flow->otr_orders < orders) &&
           !__builtin_add_overflow(q->flow->otr_qty, q->req->qty, &used) &&
           (__builtin_mul_overflow(max + 1, q->flow->otr_traded_qty, &qty) || used <= qty);
}

QUICK bool quick_repeats(const quick_t *q)
{
    return (q->now.mono_ns - q->acc->dup_ns[q->dup_slot] >= q->acc->limits.dup_w_ns && q->acc->limits.dup_n > 0) ||
           duplicates(q->risk, q->acc, q->req, q->req->px, q->now.mono_ns) < q->acc->limits.dup_n;
}

/* L or K of a row with the order in place; every sum of it fits. */
QUICK bool quick_row(const quick_t *q, const risk_row_t *row, int64_t *then)
{
    int64_t open;
    return q->buy ? !__builtin_add_overflow(row->buy_open, q->req->qty, &open) &&
                        !__builtin_add_overflow(open, row->pos, then)
                  : !__builtin_add_overflow(row->sell_open, q->req->qty, &open) &&
                        !__builtin_sub_overflow(open, row->pos, then);
}

/* Value of a quantity at the reference price, signed; what the row has of one that did not move serves. */
QUICK bool quick_side(const quick_t *q, int64_t qty, int64_t *out)
{
    if (!quick_worth(q, q->ref_px, abs_i64(qty), out)) {
        return false;
    }
    *out = qty < 0 ? -*out : *out;
    return true;
}

/* Positions and what they are worth. */
QUICK bool quick_positions(quick_t *q)
{
    const risk_row_t *row  = q->row;
    const bool        same = row->mark_px == q->ref_px;
    int64_t           then, strategy, tenant;
    if (!quick_row(q, row, &then) || !quick_row(q, q->strategy_row, &strategy) ||
        !quick_row(q, q->tenant_row, &tenant)) {
        return false;
    }
    if (q->buy) {
        q->value_short = row->value_short;
        return then <= cut(row->max_long) && strategy <= cut(q->strategy_row->max_long) &&
               (!(q->tenant_row->flags & ROW_LIMITS) || tenant <= cut(q->tenant_row->max_long)) &&
               quick_side(q, then, &q->value_long) &&
               (same ? abs_i64(q->value_short) != INT64_MAX : quick_side(q, row_short(row), &q->value_short));
    }
    q->value_long = row->value_long;
    return then <= cut(row->max_short) && strategy <= cut(q->strategy_row->max_short) &&
           (!(q->tenant_row->flags & ROW_LIMITS) || tenant <= cut(q->tenant_row->max_short)) &&
           (q->acc->cfg.may_short || then <= 0) && quick_side(q, then, &q->value_short) &&
           (same ? abs_i64(q->value_long) != INT64_MAX : quick_side(q, row_long(row), &q->value_long));
}

/* Sums of the account and above it. */
QUICK bool quick_sums(quick_t *q)
{
    const risk_account_t *acc    = q->acc;
    const risk_limits_t  *limits = &acc->limits;
    const risk_row_t     *row    = q->row;
    const risk_tenant_t  *tenant = risk_tenant(q->risk, q->req->tenant_id);
    const int64_t         own    = gross_of(q->value_long, q->value_short);
    q->need_own                  = risk_need_of(q->market, own);
    q->open_value                = acc->open_value + q->value;
    const i128_t gross           = acc->gross - gross_of(row->value_long, row->value_short) + own;
    const i128_t net =
        q->buy ? acc->net_long - row->value_long + q->value_long : acc->net_short - row->value_short + q->value_short;
    const i128_t need   = acc->need - row->need + q->need_own;
    const i128_t more   = need - acc->need_firm; /* its money is the firm's */
    const i128_t bought = acc->buy_value + (q->buy && q->ins->def.kind == INSTRUMENT_SPOT ? q->value : 0);
    const bool   paid   = acc->cfg.funds == RISK_FUNDS_MARGIN ? need <= cut(acc->equity)
                          : acc->cfg.funds == RISK_FUNDS_CASH ? bought <= cut(acc->cash_free)
                                                              : true;
    return paid && gross <= cut(limits->max_gross) && net <= cut(limits->max_net) &&
           mul_i64(own, BP) <= mul_i64(limits->max_gross, limits->concentration_bp) &&
           row->open_orders < cut(row->max_open_orders) && acc->open_orders < cut(limits->max_open_orders) &&
           q->open_value <= cut(limits->max_open_value) && need <= cut(limits->max_credit) &&
           acc->cfg.ccy == q->risk->firm_ccy && acc->cfg.money_exp == q->risk->firm_exp &&
           tenant->need + more <= cut(tenant->max_credit) && q->risk->need + more <= cut(q->risk->max_credit) &&
           acc->traded_value + q->open_value <= cut(limits->max_turnover);
}

QUICK bool quick_passes(quick_t *q, const risk_in_t *in)
{
    if (!quick_names(q, in)) {
        return false;
    }
    return quick_open(q, in) && quick_price(q) && quick_value(q) && quick_rate(q, q->acc->rate, q->account_times) &&
           quick_rate(q, q->strategy->rate, q->strategy_times) && quick_rate(q, q->venue->rate, q->venue_times) &&
           quick_window(q) && quick_budgets(q) && quick_repeats(q) && quick_positions(q) && quick_sums(q) &&
           risk_crossing(q->risk, in->orders, q->req, q->req->px, ORDER_NONE) == ORDER_NONE;
}

QUICK void quick_reserve_row(risk_row_t *row, bool buy, int64_t qty)
{
    row->open_orders++;
    if (buy) {
        row->buy_open += qty;
    } else {
        row->sell_open += qty;
    }
}

QUICK void quick_reserve(quick_t *q)
{
    risk_t            *r   = q->risk;
    risk_account_t    *acc = q->acc;
    risk_row_t        *row = q->row;
    const order_req_t *req = q->req;
    rate_pass(acc->rate, q->account_times, r->window_mask, q->now.mono_ns);
    rate_pass(q->strategy->rate, q->strategy_times, r->window_mask, q->now.mono_ns);
    rate_pass(q->venue->rate, q->venue_times, r->window_mask, q->now.mono_ns);
    value_pass(r, acc, req->account_id, q->value, q->now.mono_ns);
    order_pass(r, acc, req, req->px, q->dup_slot, q->now.mono_ns);
    row->mark_px       = q->ref_px;
    q->market->mark_px = q->ref_px;
    quick_reserve_row(row, q->buy, req->qty);
    quick_reserve_row(q->tenant_row, q->buy, req->qty);
    quick_reserve_row(q->strategy_row, q->buy, req->qty);
    row->open_value += q->value;
    row->open_home += q->value;
    acc->open_value = q->open_value;
    acc->open_orders++;
    if (q->buy && q->ins->def.kind == INSTRUMENT_SPOT) {
        row->buy_value += q->value;
        row->buy_home += q->value;
        acc->buy_value += q->value;
    }
    risk_holders(r, req->instrument_id)[req->account_id / 64] |= 1ULL << (req->account_id & 63);
    risk_row_value(r, acc, row, q->value_long, q->value_short, q->need_own);
    risk_otr_sent(q->flow, req->qty);
    risk_budget_sent(q->venue, q->now);
}

#ifdef DCHECK
/* What the chain says, and what it would reserve. */
static void quick_prove(const quick_t *q, const risk_in_t *in)
{
    risk_out_t out;
    gate_t     g;
    begin(&g, q->risk, in, &out);
    g.asking            = true;
    const uint16_t code = gate_chain(&g);
    assert(code == RISK_ACCEPTED && g.px == q->req->px && g.px_value == q->px_value && g.value == q->value);
    assert(g.ref_px == q->ref_px && g.money.value_long == q->value_long && g.money.value_short == q->value_short);
    assert(g.money.need_own == q->need_own && g.open_value == q->open_value && g.dup_slot == q->dup_slot);
}
#endif

/* true: passed and reserved. */
QUICK bool quick_check(risk_t *r, const risk_in_t *in, risk_out_t *out)
{
    quick_t q; /* not zeroed: each part sets what later ones read */
    q.risk = r;
    q.req  = in->req;
    q.ins  = in->ins;
    q.md   = in->md;
    q.now  = in->now;
    q.buy  = in->req->side == SIDE_BUY;
    if (!quick_passes(&q, in)) {
        return false;
    }
#ifdef DCHECK
    quick_prove(&q, in);
#endif
    const uint64_t id             = q.req->cl_ord_id;
    r->seen[cl_ord_id_origin(id)] = cl_ord_id_mark(id);
    *risk_verdict_at(r, id)       = (risk_verdict_t){.cl_ord_id = id, .seq_code = in->order_seq << 16};
    r->counts.received++;
    r->counts.accepted++;
    quick_reserve(&q);
    verdict_begin(r, in, out);
    out->px       = q.req->px;
    out->px_value = q.px_value;
    return true;
}
