/* gate_market: stages D, E, F: is there a price to judge by, is the order's near it, is its size bearable? */
#pragma once

#include "core/risk/gate_state.h"

COLD static uint16_t deny_no_reference(gate_t *g, bool book, bool last)
{
    const int64_t max_age = g->market->limits.max_md_age_ns;
    if (!book && !last) {
        return deny_instrument(g, RISK_NO_REFERENCE_PRICE, 0, 0);
    }
    const int64_t age = !book   ? g->ref.last_age_ns
                        : !last ? g->ref.book_age_ns
                                : min_i64(g->ref.book_age_ns, g->ref.last_age_ns);
    return deny_instrument(g, RISK_STALE_MARKET_DATA, age, max_age);
}

/* The order is of a book that is not fresh or not in order: is there another reference? A market order needs a book. */
COLD static uint16_t check_reference(gate_t *g)
{
    const risk_md_t *md     = g->in->md;
    const bool       market = at_collar(g->req);
    const bool       book   = md && md->has_bid && md->has_ask;
    const bool       last   = md && md->has_last && !market;
    if (!g->ref.book_fresh && !(last && g->ref.last_fresh) && !(g->ref.by_close && !market)) {
        return deny_no_reference(g, book, last);
    }
    /* A bid above 0 that is below the ask would have been sane. */
    if (g->ref.book_fresh && (md->bid_px >= md->ask_px || !g->ins->def.allow_negative)) {
        return deny_instrument(g, RISK_BOOK_INVALID, md->bid_px, md->ask_px);
    }
    return RISK_ACCEPTED;
}

COLD static uint16_t check_rate_age(gate_t *g)
{
    const risk_fx_t *fx = risk_fx_find(g->risk, g->ins->def.settle_ccy, g->acc->cfg.ccy);
    return risk_fx_fresh(g->risk, fx, g->in->now)
               ? RISK_ACCEPTED
               : deny_account(g, RISK_STALE_MARKET_DATA, (i128_t)g->in->now.mono_ns - fx->mono_ns,
                              g->risk->cfg.fx_max_age_ns);
}

/* 161 to 164, and 162 for a rate. The bounds are of the mid: a fresh book that is in order is the reference. */
static inline uint16_t check_market(gate_t *g)
{
    const risk_md_t *md = g->in->md;
    uint16_t         code;
    if (!g->sane && (code = check_reference(g))) {
        return code;
    }
    if (g->ref.book_fresh) {
        int64_t spread;
        if (__builtin_sub_overflow(md->ask_px, md->bid_px, &spread) || spread > g->bounds->max_spread) {
            return deny_instrument(g, RISK_BOOK_INVALID, (i128_t)md->ask_px - md->bid_px, g->bounds->max_spread);
        }
    }
    if (!g->home && (code = check_rate_age(g))) {
        return code;
    }
    if (md->feed_gap) {
        return deny_instrument(g, RISK_FEED_GAP, 1, 0);
    }
    return g->ref.known ? RISK_ACCEPTED : deny_instrument(g, RISK_NO_REFERENCE_PRICE, 0, 0);
}

/* 181 to 185. */
static inline uint16_t check_price(gate_t *g)
{
    const risk_bounds_t    *b   = g->bounds;
    const instrument_def_t *def = &g->ins->def;
    const int64_t           px  = g->px;
    if (g->buy ? px > b->collar_up : px < b->collar_down) {
        return g->buy ? deny_instrument(g, RISK_COLLAR_BUY, px, b->collar_up)
                      : deny_instrument(g, RISK_COLLAR_SELL, px, b->collar_down);
    }
    if (g->buy ? px < b->far_down : px > b->far_up) {
        return deny_instrument(g, RISK_FAR_FROM_MARKET, px, g->buy ? b->far_down : b->far_up);
    }
    if ((def->band_lower | def->band_upper) != 0 && (px < def->band_lower || px > def->band_upper)) {
        return deny_instrument(g, RISK_STATIC_BAND, px, px < def->band_lower ? def->band_lower : def->band_upper);
    }
    if (g->in->now.mono_ns < g->market->pause_until_ns) {
        return deny_instrument(g, RISK_VOLATILITY_PAUSE, g->in->now.mono_ns, g->market->pause_until_ns);
    }
    return RISK_ACCEPTED;
}

/* 203: of the average day, where one is known; of what is to be seen on the other side, where that is asked for (nothing
 * seen is nothing allowed). */
static inline uint16_t check_participation(gate_t *g)
{
    const risk_limits_t *limits = &g->market->limits;
    const int64_t        qty    = g->req->qty;
    if (g->market->adv_qty > 0 && limits->adv_bp != RISK_OFF &&
        mul_i64(qty, BP) > mul_i64(g->market->adv_qty, limits->adv_bp)) {
        return deny_instrument(g, RISK_MAX_PARTICIPATION, qty, mul_i64(g->market->adv_qty, limits->adv_bp) / BP);
    }
    if (limits->depth_bp != RISK_OFF) {
        const int64_t depth = g->buy ? g->in->md->ask_depth : g->in->md->bid_depth;
        if (mul_i64(qty, BP) > mul_i64(depth, limits->depth_bp)) {
            return deny_instrument(g, RISK_MAX_PARTICIPATION, qty, mul_i64(depth, limits->depth_bp) / BP);
        }
    }
    return RISK_ACCEPTED;
}

/* The same as a question. */
static inline bool participates(const risk_instrument_t *market, const risk_md_t *md, bool buy, int64_t qty)
{
    const risk_limits_t *limits = &market->limits;
    return (market->adv_qty <= 0 || limits->adv_bp == RISK_OFF ||
            mul_i64(qty, BP) <= mul_i64(market->adv_qty, limits->adv_bp)) &&
           (limits->depth_bp == RISK_OFF ||
            mul_i64(qty, BP) <= mul_i64(buy ? md->ask_depth : md->bid_depth, limits->depth_bp));
}

/* 201 to 203. What is held is judged as far as its price is known, and by 203 when it leaves. */
static inline uint16_t check_size(gate_t *g)
{
    const int64_t qty = g->req->qty;
    if (qty > g->market->limits.max_qty) {
        return deny_instrument(g, RISK_MAX_ORDER_QTY, qty, g->market->limits.max_qty);
    }
    if (qty > g->row->max_qty) {
        return deny_row(g, RISK_MAX_ORDER_QTY, qty, g->row->max_qty);
    }
    if (g->px_known && g->value > g->market->limits.max_value) {
        return deny_instrument(g, RISK_MAX_ORDER_VALUE, g->value, g->market->limits.max_value);
    }
    if (g->px_known && g->value > g->acc->limits.max_value) {
        return deny_account(g, RISK_MAX_ORDER_VALUE, g->value, g->acc->limits.max_value);
    }
    return g->mode == RISK_MODE_HOLD ? RISK_ACCEPTED : check_participation(g);
}
