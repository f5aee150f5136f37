/* gate_validity: stages A and B: is it well formed, does it name what exists, do its figures fit, has it the right? */
#pragma once

#include "core/risk/gate.h"

/* Out of line: a denial is rare, and its 128-bit clamps would spread the passing path over twice the instruction lines.
 */
#define COLD __attribute__((cold, noinline))

COLD static uint16_t deny(gate_t *g, risk_code_t code, scope_t scope_type, uint32_t scope_id, i128_t observed,
                          i128_t limit)
{
    verdict_t *v  = &g->out->verdict;
    v->code       = (uint16_t)code;
    v->scope_type = (uint8_t)scope_type;
    v->scope_id   = scope_id;
    v->observed   = clamp_i64(observed);
    v->limit      = clamp_i64(limit);
    return v->code;
}

COLD static uint16_t deny_instrument(gate_t *g, risk_code_t code, i128_t observed, i128_t limit)
{
    return deny(g, code, SCOPE_INSTRUMENT, g->req->instrument_id, observed, limit);
}

COLD static uint16_t deny_account(gate_t *g, risk_code_t code, i128_t observed, i128_t limit)
{
    return deny(g, code, SCOPE_ACCOUNT, g->req->account_id, observed, limit);
}

COLD static uint16_t deny_row(gate_t *g, risk_code_t code, i128_t observed, i128_t limit)
{
    return deny(g, code, SCOPE_ACCOUNT_INSTRUMENT, g->req->account_id, observed, limit);
}

#define BIT(n) (1U << (n))
#define EXEC_INST_ALL (EXEC_INST_POST_ONLY | EXEC_INST_REDUCE_ONLY)

enum {
    TYPES_SENT    = BIT(ORD_TYPE_MARKET) | BIT(ORD_TYPE_LIMIT) | BIT(ORD_TYPE_MARKET_TO_LIMIT),
    TYPES_HELD    = BIT(ORD_TYPE_COUNT) - 2,
    TYPES_PRICED  = BIT(ORD_TYPE_LIMIT) | BIT(ORD_TYPE_STOP_LIMIT) | BIT(ORD_TYPE_LIMIT_IF_TOUCHED),
    TIFS_PLAIN    = BIT(TIF_DAY) | BIT(TIF_GTC) | BIT(TIF_OPG) | BIT(TIF_IOC) | BIT(TIF_FOK) | BIT(TIF_ATC),
    TIFS_TERMS    = TIFS_PLAIN | BIT(TIF_GTD), /* an end of its own: only what comes with terms says when */
    TIFS_RESTING  = BIT(TIF_DAY) | BIT(TIF_GTC) | BIT(TIF_GTD),
    TIFS_AUCTIONS = BIT(TIF_OPG) | BIT(TIF_ATC)
};

static inline bool in_set(uint32_t set, uint32_t n)
{
    return n < 32 && (set >> n & 1);
}

static inline bool words_ok(const gate_t *g)
{
    const order_req_t *req = g->req;
    if (g->mode == RISK_MODE_ORDER && req->ord_type == ORD_TYPE_LIMIT && req->tif <= TIF_GTC) {
        return req->tif != TIF_NONE && (req->side == SIDE_BUY || req->side == SIDE_SELL); /* nearly always */
    }
    const bool     held  = g->mode == RISK_MODE_HOLD;
    const uint32_t types = held ? TYPES_HELD : g->amend ? BIT(ORD_TYPE_LIMIT) : TYPES_SENT;
    const uint32_t tifs  = held || g->mode == RISK_MODE_RELEASE ? TIFS_TERMS : TIFS_PLAIN;
    const bool     rests =
        in_set(TYPES_PRICED | BIT(ORD_TYPE_TRAILING_STOP_LIMIT), req->ord_type) && in_set(TIFS_RESTING, req->tif);
    return (req->side == SIDE_BUY || req->side == SIDE_SELL) && in_set(types, req->ord_type) &&
           in_set(tifs, req->tif) && (rests || !(req->exec_inst & EXEC_INST_POST_ONLY));
}

static inline void prefetch_row(const risk_row_t *row)
{
    __builtin_prefetch(row, 1);
    __builtin_prefetch(&row->mark_px, 1);
}

/* Who and what: 101 to 122. Fills in the objects of the gate. */
static inline uint16_t check_names(gate_t *g)
{
    const risk_t       *r   = g->risk;
    const order_req_t  *req = g->req;
    const instrument_t *ins = g->in->ins;
    if (req->action < ORDER_ACTION_NEW || req->action > ORDER_ACTION_CANCEL ||
        req->position_effect > POSITION_EFFECT_CLOSE || (req->exec_inst & ~EXEC_INST_ALL) != 0) {
        return deny(g, RISK_BAD_MESSAGE, SCOPE_NONE, 0, req->action, ORDER_ACTION_CANCEL);
    }
    if (req->action != ORDER_ACTION_CANCEL && !words_ok(g)) {
        return deny(g, RISK_BAD_SIDE_TYPE_OR_TIF, SCOPE_NONE, 0, req->side, 0);
    }
    if (cl_ord_id_seq(req->cl_ord_id) == 0) {
        return deny(g, RISK_BAD_CLIENT_ORDER_ID, SCOPE_NONE, 0, (int64_t)req->cl_ord_id, 0);
    }
    if (ins == NULL || req->instrument_id == 0 || req->instrument_id > r->cfg.instruments_max ||
        ins->def.instrument_id != req->instrument_id || ins->def.venue_id == 0 ||
        ins->def.venue_id > r->cfg.venues_max) {
        return deny_instrument(g, RISK_UNKNOWN_INSTRUMENT, req->instrument_id, r->cfg.instruments_max);
    }
    if (req->account_id == 0 || req->account_id > r->cfg.accounts_max) {
        return deny_account(g, RISK_UNKNOWN_ACCOUNT, req->account_id, r->cfg.accounts_max);
    }
    prefetch_row(risk_row(r, req->account_id, req->instrument_id));
    if (req->strategy_id <= r->cfg.strategies_max) {
        __builtin_prefetch(risk_strategy_row(r, req->strategy_id, req->instrument_id), 1);
        __builtin_prefetch(risk_flow(r, req->strategy_id, req->instrument_id), 1);
    }
    __builtin_prefetch(&risk_instrument(r, req->instrument_id)->bounds.far_up, 0);
    __builtin_prefetch(&risk_instrument(r, req->instrument_id)->limits.adv_bp, 0);
    if (!risk_account(r, req->account_id)->exists) {
        return deny_account(g, RISK_UNKNOWN_ACCOUNT, req->account_id, r->cfg.accounts_max);
    }
    g->ins    = ins;
    g->acc    = risk_account(r, req->account_id);
    g->venue  = risk_venue(r, ins->def.venue_id);
    g->market = risk_instrument(r, req->instrument_id);
    g->row    = risk_row(r, req->account_id, req->instrument_id);
    if (req->strategy_id >= 1 && req->strategy_id <= r->cfg.strategies_max &&
        risk_strategy(r, req->strategy_id)->tenant_id != 0) {
        g->strategy     = risk_strategy(r, req->strategy_id);
        g->strategy_row = risk_strategy_row(r, req->strategy_id, req->instrument_id);
    }
    if (req->tenant_id != g->acc->cfg.tenant_id || (g->strategy && req->tenant_id != g->strategy->tenant_id)) {
        return deny_account(g, RISK_WRONG_TENANT, req->tenant_id, g->acc->cfg.tenant_id);
    }
    g->tenant_row = risk_tenant_row(r, req->tenant_id, req->instrument_id);
    g->home       = risk_is_home(g->acc, ins);
    return RISK_ACCEPTED;
}

/* The order that a REPLACE or CANCEL is about: 115 to 117. What is held is its holder's to judge. */
static inline uint16_t check_target(gate_t *g)
{
    const order_t     *o   = g->in->target;
    const order_req_t *req = g->req;
    if (req->action == ORDER_ACTION_NEW || g->mode == RISK_MODE_HOLD) {
        return RISK_ACCEPTED;
    }
    if (o == NULL || o->cl_ord_id != req->orig_cl_ord_id || o->account_id != req->account_id ||
        o->instrument_id != req->instrument_id ||
        (g->amend && (o->side != req->side || o->strategy_id != req->strategy_id))) {
        return deny_account(g, RISK_UNKNOWN_ORDER, (int64_t)req->orig_cl_ord_id, 0);
    }
    if (!order_is_open(o)) {
        return deny_account(g, RISK_ORDER_NOT_OPEN, o->ord_status, 0);
    }
    if (g->amend && req->qty < o->exec_qty) {
        return deny_account(g, RISK_AMEND_BELOW_FILLED, req->qty, o->exec_qty);
    }
    return RISK_ACCEPTED;
}

/* What was said the first time: observed = its code, limit = its order_seq; -1 both when that is forgotten. */
COLD static uint16_t deny_seen(gate_t *g)
{
    const risk_verdict_t *first = risk_verdict_at(g->risk, g->req->cl_ord_id);
    const bool            known = first->cl_ord_id == g->req->cl_ord_id;
    return deny_account(g, RISK_DUPLICATE_CLIENT_ORDER_ID, known ? (i128_t)(first->seq_code & 0xffff) : -1,
                        known ? (i128_t)(first->seq_code >> 16) : -1);
}

/* ref * (1 +- bp), times 2 * BP: exact. */
static inline i128_t bound_scaled(i128_t px2, int64_t bp)
{
    return px2 * BP + abs_i128(px2) * bp;
}

/* What the reference price bounds under the limits in force. A buy above `collar_up` is exactly one above the true bound,
 * for prices are whole; likewise the others. */
COLD static risk_bounds_t bounds_wide(const risk_limits_t *l, i128_t px2, uint32_t version)
{
    return (risk_bounds_t){.px2         = px2,
                           .collar_up   = clamp_i64(div_floor(bound_scaled(px2, l->collar_bp), 2 * BP)),
                           .collar_down = clamp_i64(div_ceil(bound_scaled(px2, -l->collar_bp), 2 * BP)),
                           .far_up      = clamp_i64(div_floor(bound_scaled(px2, l->far_bp), 2 * BP)),
                           .far_down    = clamp_i64(div_ceil(bound_scaled(px2, -l->far_bp), 2 * BP)),
                           .max_spread  = clamp_i64(abs_i128(px2) * l->max_spread_bp / (2 * BP)),
                           .version     = version};
}

/* The same where its products fit 64 bits and the price is positive, which is nearly always. */
__attribute__((noinline)) static risk_bounds_t bounds_make(const risk_limits_t *l, i128_t px2, uint32_t version)
{
    if (px2 <= 0 || px2 > INT64_MAX / (101 * BP) - 1) { /* no bound is of more than 100 times the price */
        return bounds_wide(l, px2, version);
    }
    const int64_t p = (int64_t)px2;
    const int64_t f = p * (BP - l->far_bp); /* below 0 when far is more than the price */
    return (risk_bounds_t){.px2         = px2,
                           .collar_up   = p * (BP + l->collar_bp) / (2 * BP),
                           .collar_down = (p * (BP - l->collar_bp) + 2 * BP - 1) / (2 * BP),
                           .far_up      = p * (BP + l->far_bp) / (2 * BP),
                           .far_down    = f > 0 ? (f + 2 * BP - 1) / (2 * BP) : f / (2 * BP),
                           .max_spread  = p * l->max_spread_bp / (2 * BP),
                           .version     = version};
}

/* The reference price and what it bounds; kept with the instrument until either changes. */
static inline void find_reference(gate_t *g)
{
    risk_bounds_t   *kept = &g->market->bounds;
    const risk_md_t *md   = g->in->md;
    g->bounds             = kept;
    g->sane               = md != NULL && md->has_bid && md->has_ask && md->bid_px > 0 && md->bid_px < md->ask_px &&
              g->in->now.mono_ns - md->book_mono_ns <= g->market->limits.max_md_age_ns;
    if (g->sane) { /* nearly always */
        g->ref.known      = true;
        g->ref.book_fresh = true;
        g->ref.px2        = (i128_t)md->bid_px + md->ask_px;
    } else {
        g->ref = risk_ref_find(g->ins, md, &g->market->limits, g->in->now);
    }
    g->ref_px = risk_ref_px(g->ins, g->ref.px2);
    if (g->ref.known && (kept->px2 != g->ref.px2 || kept->version != g->risk->limit_version)) {
        risk_bounds_t *to = g->asking ? &g->made : kept;
        *to               = bounds_make(&g->market->limits, g->ref.px2, g->risk->limit_version);
        g->bounds         = to;
    }
}

/* Is a multiple? In 32 bits where both fit, which is a third of the time. */
static inline bool divides(int64_t d, int64_t v)
{
    if (((uint64_t)d | (uint64_t)v) >> 32 == 0) {
        return (uint32_t)v % (uint32_t)d == 0;
    }
    return v % d == 0;
}

/* instrument_notional, in two products where they fit. */
static inline bool notional(const gate_t *g, int64_t px, int64_t qty, int64_t *out)
{
    return risk_notional(g->ins, g->unit, px, qty, out);
}

/* Value of qty at px in the account's money. false = it does not fit. */
static inline bool value_at(const gate_t *g, int64_t px, int64_t qty, int64_t *out)
{
    return notional(g, px, qty, out) && (g->home || risk_home(g->risk, g->acc, g->ins, *out, out));
}

/* Prices and sums that later stages share. false = something does not fit (111). */
static inline bool gate_sums(gate_t *g)
{
    const bool own  = g->amend && g->mode != RISK_MODE_HOLD; /* a REPLACE takes the place of the order's own part */
    g->before       = (order_part_t){0};
    g->value_before = 0;
    if (own) {
        order_part(g->in->target, &g->before);
    }
    g->qty        = g->req->qty - (own ? g->in->target->exec_qty : 0);
    g->long_now   = row_long(g->row);
    g->short_now  = row_short(g->row);
    g->long_then  = g->long_now;
    g->short_then = g->short_now;
    int64_t *then = g->buy ? &g->long_then : &g->short_then;
    if (__builtin_add_overflow(*then, g->qty - g->before.qty, then)) { /* neither is below 0: the difference fits */
        return false;
    }
    if (!g->px_known) {
        return true;
    }
    g->px_value = g->px;
    if (!g->buy && g->ref.known) {
        g->px_value = max_i64(g->px, g->ref_px);
    }
    g->unit = risk_unit(&g->ins->def);
    if (!notional(g, g->px, g->req->qty, &g->value_px)) {
        return false;
    }
    g->value = g->value_px;
    if (g->px_value != g->px) {
        int64_t value_ref;
        if (!notional(g, g->px_value, g->req->qty, &value_ref)) {
            return false;
        }
        g->value = max_i64(g->value_px, value_ref);
    }
    g->value_after = g->value;
    if (!g->home && !risk_home(g->risk, g->acc, g->ins, g->value, &g->value) &&
        risk_fx_find(g->risk, g->ins->def.settle_ccy, g->acc->cfg.ccy) != NULL) { /* without a rate: 155, later */
        return false;
    }
    if (own) {
        order_part_replaced(g->in->target, g->px, g->px_value, g->req->qty, &g->after);
        return risk_part_value(g->ins, &g->before, &g->value_before) &&
               risk_part_value(g->ins, &g->after, &g->value_after);
    }
    g->after = (order_part_t){.qty             = g->qty,
                              .px_lo           = min_i64(g->px, g->px_value),
                              .px_hi           = max_i64(g->px, g->px_value),
                              .side            = g->req->side,
                              .counts          = 1,
                              .position_effect = g->effect};
    return true;
}

/* A market order has no price of its own: it leaves as a limit order at the collar. So does what is to rest as a limit
 * order at the price of its first fills. */
static inline bool at_collar(const order_req_t *req)
{
    return req->ord_type == ORD_TYPE_MARKET || req->ord_type == ORD_TYPE_MARKET_TO_LIMIT;
}

static inline int64_t px_tick(const instrument_t *ins, int64_t px)
{
    return ins->band_count == 1 ? ins->bands[0].tick : instrument_tick_at(ins, px);
}

/* The price: 106, 108. A market order has none of its own: it is sent at the collar, or at the venue's static band where
 * that is nearer, on the tick towards the reference price (E); limits that are missing and a reference that is not
 * known are denied later, in their place. What is held
 * may have no price yet. */
static inline uint16_t check_px(gate_t *g)
{
    const order_req_t *req  = g->req;
    const bool         held = g->mode == RISK_MODE_HOLD;
    g->px                   = req->px;
    g->px_known             = true;
    if (at_collar(req)) {
        g->px_known = !held && g->market->has_limits && g->ref.known && g->ref.book_fresh;
        if (g->px_known) {
            const instrument_def_t *def    = &g->ins->def;
            const bool              banded = (def->band_lower | def->band_upper) != 0;
            g->px = g->buy ? instrument_round_down(g->ins, banded ? min_i64(g->bounds->collar_up, def->band_upper)
                                                                  : g->bounds->collar_up)
                           : instrument_round_up(g->ins, banded ? max_i64(g->bounds->collar_down, def->band_lower)
                                                                : g->bounds->collar_down);
        }
        return RISK_ACCEPTED;
    }
    if (held && !in_set(TYPES_PRICED, req->ord_type)) {
        g->px_known = false;
        return RISK_ACCEPTED;
    }
    if (req->px <= 0 && !g->ins->def.allow_negative) {
        return deny_instrument(g, RISK_PRICE_NOT_POSITIVE, req->px, 1);
    }
    const int64_t tick = px_tick(g->ins, req->px);
    if (!divides(tick, req->px)) {
        return deny_instrument(g, RISK_PRICE_NOT_ON_TICK, req->px, tick);
    }
    return RISK_ACCEPTED;
}

/* 114. What was held is as old as it is. */
static inline uint16_t check_age(gate_t *g)
{
    const risk_cfg_t *cfg = &g->risk->cfg;
    int64_t           age;
    if (g->mode == RISK_MODE_RELEASE) {
        return RISK_ACCEPTED;
    }
    if (__builtin_sub_overflow(g->in->now.mono_ns, g->req->created_mono_ns, &age)) {
        age = g->req->created_mono_ns < 0 ? INT64_MAX : INT64_MIN;
    }
    if (age > cfg->max_request_age_ns) {
        return deny(g, RISK_REQUEST_TOO_OLD, SCOPE_GLOBAL, 0, age, cfg->max_request_age_ns);
    }
    if (age < -cfg->max_ahead_ns) {
        return deny(g, RISK_REQUEST_TOO_OLD, SCOPE_GLOBAL, 0, age, -cfg->max_ahead_ns);
    }
    return RISK_ACCEPTED;
}

/* Figures: 113 to 114 for NEW and REPLACE. */
static inline uint16_t check_figures(gate_t *g)
{
    const order_req_t      *req = g->req;
    const instrument_def_t *def = &g->ins->def;
    uint16_t                code;
    if (g->seen && !g->amend && g->mode != RISK_MODE_RELEASE) {
        return deny_seen(g);
    }
    if (req->qty <= 0) {
        return deny_instrument(g, RISK_QTY_NOT_POSITIVE, req->qty, 1);
    }
    if (!divides(def->lot, req->qty)) {
        return deny_instrument(g, RISK_QTY_NOT_ON_LOT, req->qty, def->lot);
    }
    if (req->qty < def->min_qty) {
        return deny_instrument(g, RISK_QTY_BELOW_MIN, req->qty, def->min_qty);
    }
    find_reference(g);
    if ((code = check_px(g))) {
        return code;
    }
    if (!gate_sums(g)) {
        return deny_instrument(g, RISK_ARITHMETIC_OVERFLOW, req->qty, INT64_MAX);
    }
    if (g->px_known && g->value_px < def->min_notional) {
        return deny_instrument(g, RISK_NOTIONAL_BELOW_MIN, g->value_px, def->min_notional);
    }
    g->sized = true;
    return check_age(g);
}

/* ---- B: authority ------------------------------------------------------------------------------------------------ */

/* Would this sell leave it short? In a hedging account one that opens does, and one that closes does not. */
static inline bool goes_short(const gate_t *g)
{
    if (g->buy || (g->acc->cfg.hedging && g->effect == POSITION_EFFECT_CLOSE)) {
        return false;
    }
    return g->short_then > 0 || (g->acc->cfg.hedging && g->effect == POSITION_EFFECT_OPEN);
}

static inline uint16_t check_authority(gate_t *g)
{
    const order_req_t        *req    = g->req;
    const risk_account_cfg_t *rights = &g->acc->cfg;
    const uint32_t            venue  = g->ins->def.venue_id;
    if (!rights->may_trade) {
        return deny_account(g, RISK_NOT_AUTHORISED, 0, 0);
    }
    if (g->row->flags & ROW_DENIED) {
        return deny_row(g, RISK_INSTRUMENT_NOT_PERMITTED, req->instrument_id, 0);
    }
    if (g->market->restricted) {
        return deny_instrument(g, RISK_INSTRUMENT_RESTRICTED, req->instrument_id, 0);
    }
    if ((rights->venues >> venue & 1) == 0) {
        return deny(g, RISK_VENUE_NOT_PERMITTED, SCOPE_ACCOUNT_VENUE, req->account_id, venue, 0);
    }
    if (!rights->may_short && g->mode != RISK_MODE_HOLD && goes_short(g)) {
        return deny_row(g, RISK_SHORT_NOT_PERMITTED, g->short_then, 0);
    }
    if (!in_set(rights->ord_types, req->ord_type)) {
        return deny_account(g, RISK_ORDER_TYPE_NOT_PERMITTED, req->ord_type, 0);
    }
    if (req->strategy_id != 0 && (g->strategy == NULL || g->strategy->approved_version == 0)) {
        return deny(g, RISK_STRATEGY_NOT_APPROVED, SCOPE_STRATEGY, req->strategy_id, req->strategy_id, 0);
    }
    return RISK_ACCEPTED;
}
