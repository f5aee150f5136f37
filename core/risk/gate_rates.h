/* gate_rates: stages G and H: too much at a time, the same again, our own order on the other side.
 *
 * Exact windows without lists: n events lie in (t - w, t] exactly when the n-th newest is younger than w, so a ring of
 * pass times answers with one read. Every order is a message, so orders and messages share a ring. */
#pragma once

#include "core/risk/gate_market.h"

/* Rings of pass times lie by scope: accounts, strategies, venues. */
static inline uint64_t strategy_ring(const risk_t *r, uint32_t strategy_id)
{
    return r->cfg.accounts_max + 1ULL + strategy_id;
}

static inline uint64_t venue_ring(const risk_t *r, uint32_t venue_id)
{
    return r->cfg.accounts_max + r->cfg.strategies_max + 2ULL + venue_id;
}

static inline int64_t *times_ring(const risk_t *r, uint64_t scope)
{
    return (int64_t *)risk_at(r, r->times_off) + scope * RATE_RINGS * (r->window_mask + 1ULL);
}

int gate_scopes(const gate_t *g, rate_scope_t out[3])
{
    const uint32_t account  = g->req->account_id;
    const uint32_t strategy = g->req->strategy_id;
    const uint32_t venue    = g->ins->def.venue_id;
    int            n        = 0;
    if (g->strategy) {
        out[n++] = (rate_scope_t){g->strategy->rate, times_ring(g->risk, strategy_ring(g->risk, strategy)),
                                  SCOPE_STRATEGY, strategy};
    }
    out[n++] = (rate_scope_t){g->acc->rate, times_ring(g->risk, account), SCOPE_ACCOUNT, account};
    out[n++] = (rate_scope_t){g->venue->rate, times_ring(g->risk, venue_ring(g->risk, venue)), SCOPE_VENUE, venue};
    return n;
}

/* Every order is a message and the other way round: both windows look at one ring of pass times. */
static inline int64_t *rate_ring(const gate_t *g, const rate_scope_t *scope, risk_rate_kind_t kind)
{
    return scope->times + (kind == RATE_CANCELS ? g->risk->window_mask + 1ULL : 0);
}

static inline bool rate_reached(const risk_rate_t *rate, const int64_t *ring, uint64_t mask, int64_t n, int64_t now_ns)
{
    if (rate->passed < (uint64_t)n || n == 0) {
        return n == 0;
    }
    return now_ns - ring[(rate->passed - (uint64_t)n) & mask] < rate->w_ns;
}

/* How many of the next passes surely stay below the soft limits of orders and messages, whenever they come: m - 1 events
 * in the window at most when m are not reached, and from then on each pass adds one. A few looks for many passes. */
static inline uint64_t rate_free(const risk_rate_t *rate, const int64_t *ring, uint64_t mask, int64_t now_ns)
{
    for (int64_t passes = 32; passes > 0; passes /= 4) {
        const int64_t orders   = rate[RATE_ORDERS].soft_n - passes;
        const int64_t messages = rate[RATE_MESSAGES].soft_n - passes;
        if (orders > 0 && messages > 0 && !rate_reached(&rate[RATE_ORDERS], ring, mask, orders, now_ns) &&
            !rate_reached(&rate[RATE_MESSAGES], ring, mask, messages, now_ns)) {
            return (uint64_t)passes;
        }
    }
    return 0;
}

/* One more passed order, which is a message too. */
static inline void rate_pass(risk_rate_t *rate, int64_t *ring, uint64_t mask, int64_t now_ns)
{
    ring[rate[RATE_ORDERS].passed & mask] = now_ns;
    rate[RATE_ORDERS].passed++;
    rate[RATE_MESSAGES].passed++;
    rate[RATE_ORDERS].free -= rate[RATE_ORDERS].free > 0;
}

bool gate_rate_reached(const gate_t *g, const rate_scope_t *scope, risk_rate_kind_t kind, int64_t n)
{
    return rate_reached(&scope->rate[kind], rate_ring(g, scope, kind), g->risk->window_mask, n, g->in->now.mono_ns);
}

static inline bool soft_due(const int64_t *soft_ns, now_t now)
{
    return *soft_ns == 0 || now.mono_ns - *soft_ns >= RISK_SOFT_GATE_NS;
}

COLD static void soft_tell(gate_t *g, int64_t *soft_ns, risk_code_t code, scope_t scope_type, uint32_t scope_id,
                           i128_t observed, i128_t limit)
{
    assert(g->out->soft_count < RISK_SOFT_MAX);
    *soft_ns                           = max_i64(g->in->now.mono_ns, 1);
    g->out->soft[g->out->soft_count++] = (risk_soft_t){.code       = (uint16_t)code,
                                                       .scope_type = (uint8_t)scope_type,
                                                       .scope_id   = scope_id,
                                                       .observed   = clamp_i64(observed),
                                                       .limit      = clamp_i64(limit)};
}

static inline risk_value_t *values_ring(const risk_t *r, uint32_t account_id)
{
    return (risk_value_t *)risk_at(r, r->values_off) + account_id * (r->value_mask + 1ULL);
}

risk_value_t *gate_values(const gate_t *g)
{
    return values_ring(g->risk, g->req->account_id);
}

static inline risk_passed_t *passed_ring(const risk_t *r, uint32_t account_id)
{
    return (risk_passed_t *)risk_at(r, r->passed_off) + account_id * (r->window_mask + 1ULL);
}

static const struct {
    risk_rate_kind_t kind;
    risk_code_t      code;
} RATE_TESTS[] = {{RATE_ORDERS, RISK_RATE_ORDERS}, {RATE_MESSAGES, RISK_RATE_MESSAGES}};

/* 271, 272. One look at each ring says, nearly always, that not even the soft limit is reached with this request;
 * soft_n <= n, so the hard one is not either. */
static inline uint16_t check_rates(gate_t *g)
{
    const uint64_t mask   = g->risk->window_mask;
    const int64_t  now_ns = g->in->now.mono_ns;
    g->soft_rates         = 0;
    g->scope_count        = gate_scopes(g, g->scopes);
    if (g->counted) {
        return RISK_ACCEPTED;
    }
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < g->scope_count; i++) {
            const rate_scope_t *scope = &g->scopes[i];
            const risk_rate_t  *rate  = &scope->rate[RATE_TESTS[k].kind];
            if (!rate_reached(rate, scope->times, mask, rate->soft_n - 1, now_ns)) {
                continue;
            }
            if (rate_reached(rate, scope->times, mask, rate->n, now_ns)) {
                return deny(g, RATE_TESTS[k].code, scope->scope_type, scope->scope_id, (i128_t)rate->n + 1, rate->n);
            }
            g->soft_rates |= 1U << (k * 3 + i);
        }
    }
    return RISK_ACCEPTED;
}

/* 273. Values that left the window are taken off a few at a time, and as many as it needs when the order would not fit:
 * the answer is exact and no check pays for a long silence before it. */
static inline uint16_t check_value_window(gate_t *g)
{
    const risk_account_t *acc  = g->acc;
    const risk_value_t   *ring = gate_values(g);
    const i128_t          max  = acc->limits.value_w_max;
    const uint64_t        cap  = g->risk->cfg.value_window_max;
    uint64_t              tail = g->window_read ? g->window_tail : acc->value_tail;
    i128_t                sum  = g->window_read ? g->window_sum : acc->value_sum;
    for (int n = 0; tail != acc->value_head; n++) {
        const risk_value_t *oldest = &ring[tail & g->risk->value_mask];
        const bool          fits   = sum + g->value <= max && acc->value_head - tail < cap;
        if (g->in->now.mono_ns - oldest->mono_ns < acc->limits.value_w_ns || (n >= 8 && fits)) {
            break;
        }
        sum -= oldest->value;
        tail++;
    }
    g->window_read = true;
    g->window_tail = tail;
    g->window_sum  = sum;
    if (sum + g->value > max || acc->value_head - tail >= cap) {
        return deny_account(g, RISK_RATE_VALUE, sum + g->value, max);
    }
    return RISK_ACCEPTED;
}

/* 278: what the venue lets us send, less what is kept for cancels. A hold is shown by its end. */
static inline uint16_t check_budget(gate_t *g)
{
    const risk_venue_t *venue = g->venue;
    if (g->in->now.utc_ns < venue->hold_until_utc_ns) {
        return deny(g, RISK_VENUE_BUDGET, SCOPE_VENUE, g->ins->def.venue_id, g->in->now.utc_ns,
                    venue->hold_until_utc_ns);
    }
    if (venue->budget_limit > 0) {
        const i128_t used = (i128_t)risk_budget_used(venue, g->in->now) + 1;
        const i128_t most = mul_i64(venue->budget_limit, venue->limits.budget_bp);
        if (used * BP > most) {
            return deny(g, RISK_VENUE_BUDGET, SCOPE_VENUE, g->ins->def.venue_id, used, most / BP);
        }
    }
    return RISK_ACCEPTED;
}

static inline uint8_t dup_slot(const order_req_t *req, int64_t px)
{
    const uint64_t key = (uint64_t)px * 0x9e3779b97f4a7c15ULL + (uint64_t)req->qty * 0xc2b2ae3d27d4eb4fULL +
                         (uint64_t)req->instrument_id * 0x165667b19e3779f9ULL + req->side;
    return (uint8_t)(key >> 56);
}
_Static_assert(RISK_DUP_SLOTS == 256, "dup_slot is a byte");

/* Equal orders among those that passed in the window, newest first. */
static inline int64_t duplicates(const risk_t *r, const risk_account_t *acc, const order_req_t *req, int64_t px,
                                 int64_t now_ns)
{
    const risk_passed_t *ring  = passed_ring(r, req->account_id);
    const uint64_t       kept  = r->window_mask + 1ULL;
    const uint64_t       head  = acc->dup_head;
    const uint64_t       end   = head > kept ? head - kept : 0;
    int64_t              equal = 0;
    for (uint64_t i = head; i > end; i--) {
        const risk_passed_t *p = &ring[(i - 1) & r->window_mask];
        if (now_ns - p->mono_ns >= acc->limits.dup_w_ns) {
            break;
        }
        if (((p->px ^ px) | (p->qty ^ req->qty)) == 0) {
            equal += p->instrument_id == req->instrument_id && p->side == req->side && p->ord_type == req->ord_type;
        }
    }
    return equal;
}

/* The price that makes orders equal: what is sent at the collar has none of its own, wherever that lies. */
static inline int64_t dup_px(const gate_t *g)
{
    return at_collar(g->req) ? 0 : g->px;
}

/* 277: when the newest of its hash is older than the window there is none. Slices that the engine sends for one order are no
 * repetition of it. */
static inline uint16_t check_duplicate(gate_t *g)
{
    const int64_t now_ns = g->in->now.mono_ns;
    const bool    slice  = g->mode == RISK_MODE_RELEASE && cl_ord_id_origin(g->req->cl_ord_id) == 0;
    g->dup_slot          = dup_slot(g->req, dup_px(g));
    if (slice) {
        return RISK_ACCEPTED;
    }
    if (now_ns - g->acc->dup_ns[g->dup_slot] >= g->acc->limits.dup_w_ns && g->acc->limits.dup_n > 0) {
        return RISK_ACCEPTED;
    }
    const int64_t equal = duplicates(g->risk, g->acc, g->req, dup_px(g), now_ns);
    return equal < g->acc->limits.dup_n ? RISK_ACCEPTED
                                        : deny_account(g, RISK_DUPLICATE_ORDER, equal + 1, g->acc->limits.dup_n);
}

/* What passed, for 273 and 277. */
static inline void value_pass(const risk_t *r, risk_account_t *acc, uint32_t account_id, int64_t value, int64_t now_ns)
{
    values_ring(r, account_id)[acc->value_head++ & r->value_mask] = (risk_value_t){.mono_ns = now_ns, .value = value};
    acc->value_sum += value;
}

static inline void order_pass(const risk_t *r, risk_account_t *acc, const order_req_t *req, int64_t px, uint8_t slot,
                              int64_t now_ns)
{
    risk_passed_t *p  = &passed_ring(r, req->account_id)[acc->dup_head++ & r->window_mask];
    p->mono_ns        = now_ns;
    p->px             = px;
    p->qty            = req->qty;
    p->instrument_id  = req->instrument_id;
    p->side           = req->side;
    p->ord_type       = req->ord_type;
    p->reserved       = 0;
    acc->dup_ns[slot] = now_ns;
}

/* 275: orders over trades, of the strategy on the instrument and the trading day, by count and by quantity. Without a
 * trade the ratio is the number of orders. */
COLD static uint16_t deny_order_to_trade(gate_t *g, i128_t sent, i128_t traded)
{
    const i128_t ratio = traded > 0 ? (sent + traded - 1) / traded - 1 : sent; /* rounded up */
    return deny(g, RISK_ORDER_TO_TRADE, SCOPE_STRATEGY_INSTRUMENT, g->req->strategy_id, ratio,
                g->strategy->limits.otr_max);
}

static inline uint16_t check_order_to_trade(gate_t *g)
{
    if (g->strategy == NULL) {
        return RISK_ACCEPTED;
    }
    const risk_flow_t *flow = risk_flow(g->risk, g->req->strategy_id, g->req->instrument_id);
    if ((int64_t)flow->otr_orders < g->strategy->limits.otr_start) {
        return RISK_ACCEPTED;
    }
    const int64_t max    = g->strategy->limits.otr_max;
    const i128_t  orders = (i128_t)flow->otr_orders + 1;
    const i128_t  qty    = (i128_t)flow->otr_qty + g->qty;
    if (flow->otr_trades == 0) {
        return orders <= max ? RISK_ACCEPTED : deny_order_to_trade(g, orders, 0);
    }
    if (orders > ((i128_t)max + 1) * (i128_t)flow->otr_trades) {
        return deny_order_to_trade(g, orders, flow->otr_trades);
    }
    if (qty > ((i128_t)max + 1) * flow->otr_traded_qty) {
        return deny_order_to_trade(g, qty, flow->otr_traded_qty);
    }
    return RISK_ACCEPTED;
}

/* ---- H: crossing own orders -------------------------------------------------------------------------------------- */

uint32_t risk_crossing(const risk_t *r, const order_table_t *orders, const order_req_t *req, int64_t px, uint32_t after)
{
    const bool buy     = req->side == SIDE_BUY;
    const bool account = r->cfg.stp == RISK_STP_ACCOUNT;
    uint32_t   at      = after == ORDER_NONE ? order_side_first(orders, req->instrument_id, buy ? SIDE_SELL : SIDE_BUY)
                                             : order_side_next(orders, after);
    for (; at != ORDER_NONE; at = order_side_next(orders, at)) {
        const order_t *o     = order_at(orders, at);
        const int64_t  eager = order_eager_px(o);
        if (buy ? eager > px : eager < px) {
            break; /* sorted: no later one crosses either */
        }
        const bool same = account ? o->account_id == req->account_id : o->tenant_id == req->tenant_id;
        if (same && (order_leaves(o) > 0 || o->replaces)) {
            return at;
        }
    }
    return ORDER_NONE;
}

static inline uint16_t check_self_trade(gate_t *g)
{
    const bool     account = g->risk->cfg.stp == RISK_STP_ACCOUNT;
    const uint32_t at      = risk_crossing(g->risk, g->in->orders, g->req, g->px, ORDER_NONE);
    if (at == ORDER_NONE) {
        return RISK_ACCEPTED;
    }
    g->out->stp = g->risk->cfg.stp_mode;
    g->out->px  = g->px;
    return deny(g, RISK_SELF_TRADE, account ? SCOPE_ACCOUNT : SCOPE_TENANT,
                account ? g->req->account_id : g->req->tenant_id, g->px, order_eager_px(order_at(g->in->orders, at)));
}
