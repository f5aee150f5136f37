/* What flows: executions and denials of strategies, messages to venues, the trading day, and what risk does by itself. */
#include <assert.h>

#include "core/risk/risk_private.h"

void risk_news_add(risk_t *r, const risk_news_t *news)
{
    if (r->news_count == RISK_NEWS_MAX) {
        for (uint32_t i = 1; i < RISK_NEWS_MAX; i++) {
            r->news[i - 1] = r->news[i];
        }
        r->news_count--;
    }
    r->news[r->news_count++] = *news;
}

bool risk_news(risk_t *r, risk_news_t *out)
{
    if (r->news_count == 0) {
        return false;
    }
    *out = r->news[0];
    r->news_count--;
    for (uint32_t i = 0; i < r->news_count; i++) {
        r->news[i] = r->news[i + 1];
    }
    r->news[r->news_count] = (risk_news_t){0};
    return true;
}

/* The strategy, when there is one with limits that may still trade. */
static risk_strategy_t *judged(const risk_t *r, uint32_t strategy_id)
{
    if (strategy_id == 0 || strategy_id > r->cfg.strategies_max) {
        return NULL;
    }
    risk_strategy_t *strategy = risk_strategy(r, strategy_id);
    return strategy->has_limits && !strategy->killed ? strategy : NULL;
}

/* ---- denials (279) ----------------------------------------------------------------------------------------------- */

void risk_rejected(risk_t *r, uint32_t strategy_id, now_t now)
{
    risk_strategy_t *strategy = judged(r, strategy_id);
    if (!strategy) {
        return;
    }
    const int64_t n    = strategy->limits.reject_n;
    int64_t      *ring = (int64_t *)risk_at(r, r->rejects_off) + strategy_id * (r->window_mask + 1ULL);
    /* Are there n in (t - w, t]? Then this one is more than n. */
    const bool enough = n == 0 || (strategy->rejected - strategy->rejected_from >= (uint64_t)n &&
                                   now.mono_ns - ring[(strategy->rejected - (uint64_t)n) & r->window_mask] <
                                       strategy->limits.reject_w_ns);
    ring[strategy->rejected++ & r->window_mask] = now.mono_ns;
    if (enough) {
        strategy->killed |= KILLED_AUTO;
        risk_news_add(
            r, &(risk_news_t){.code = RISK_REJECT_STORM, .strategy_id = strategy_id, .observed = n + 1, .limit = n});
    }
}

/* ---- executions (275, 276) --------------------------------------------------------------------------------------- */

static risk_fill_time_t *fill_at(const risk_t *r, uint32_t strategy_id, uint64_t i)
{
    return (risk_fill_time_t *)risk_at(r, r->fills_off) + strategy_id * (r->fill_mask + 1ULL) + (i & r->fill_mask);
}

static uint32_t *fills_of(risk_flow_t *flow, uint32_t side)
{
    return side == SIDE_BUY ? &flow->fills_buy : &flow->fills_sell;
}

static void fill_drop(risk_t *r, uint32_t strategy_id)
{
    const risk_fill_time_t *oldest = fill_at(r, strategy_id, risk_strategy(r, strategy_id)->fill_tail++);
    --*fills_of(risk_flow(r, strategy_id, oldest->instrument_id), oldest->side);
}

void risk_fills_forget(risk_t *r, uint32_t strategy_id)
{
    const risk_strategy_t *strategy = risk_strategy(r, strategy_id);
    while (strategy->fill_tail != strategy->fill_head) {
        fill_drop(r, strategy_id);
    }
}

/* Executions of one instrument and side are counted in its flow, and leave the count with the ring. A ring that is full
 * of executions within the window cannot count on: that is more than it may be as well. */
static void repeats_count(risk_t *r, const order_effect_t *effect, risk_flow_t *flow, now_t now)
{
    const uint32_t   id       = effect->strategy_id;
    risk_strategy_t *strategy = judged(r, id);
    if (!strategy) {
        return;
    }
    while (strategy->fill_tail != strategy->fill_head &&
           now.mono_ns - fill_at(r, id, strategy->fill_tail)->mono_ns >= strategy->limits.rep_w_ns) {
        fill_drop(r, id);
    }
    const uint32_t side = effect->qty > 0 ? SIDE_BUY : SIDE_SELL;
    const bool     full = strategy->fill_head - strategy->fill_tail > r->fill_mask;
    if (full) {
        fill_drop(r, id);
    }
    *fill_at(r, id, strategy->fill_head++) =
        (risk_fill_time_t){.mono_ns = now.mono_ns, .instrument_id = effect->instrument_id, .side = side};
    const int64_t fills = ++*fills_of(flow, side);
    const int64_t limit = strategy->limits.rep_n;
    if (full || fills > limit) {
        strategy->killed |= KILLED_AUTO;
        risk_news_add(r, &(risk_news_t){.code          = RISK_REPEATED_EXECUTION,
                                        .strategy_id   = id,
                                        .account_id    = effect->account_id,
                                        .instrument_id = effect->instrument_id,
                                        .observed      = fills > limit ? fills : (int64_t)r->fill_mask + 2,
                                        .limit         = fills > limit ? limit : (int64_t)r->fill_mask + 1});
    }
}

void risk_traded(risk_t *r, const order_effect_t *effect, now_t now)
{
    if (effect->strategy_id == 0 || effect->strategy_id > r->cfg.strategies_max) {
        return;
    }
    assert(effect->booked && effect->instrument_id >= 1 && effect->instrument_id <= r->cfg.instruments_max);
    risk_flow_t *flow = risk_flow(r, effect->strategy_id, effect->instrument_id);
    flow->otr_trades++;
    flow->otr_traded_qty =
        risk_sum_capped(flow->otr_traded_qty, effect->qty < 0 ? -max_i64(effect->qty, -INT64_MAX) : effect->qty);
    repeats_count(r, effect, flow, now);
}

/* ---- venue budgets (278) ----------------------------------------------------------------------------------------- */

err_t risk_budget(risk_t *r, const venue_budget_t *budget, now_t now)
{
    if (budget->venue_id == 0 || budget->venue_id > r->cfg.venues_max) {
        return err_set(ERR_ARG, "risk: venue %u is not in 1..%u", budget->venue_id, r->cfg.venues_max);
    }
    if (budget->used < 0 || budget->limit < 0 || budget->w_ns < 0 || budget->hold_until_utc_ns < 0) {
        return err_set(ERR_ARG,
                       "risk: budget of venue %u with used %lld of %lld in %lld ns, held until %lld: none is "
                       "below 0",
                       budget->venue_id, (long long)budget->used, (long long)budget->limit, (long long)budget->w_ns,
                       (long long)budget->hold_until_utc_ns);
    }
    risk_venue_t *venue      = risk_venue(r, budget->venue_id);
    venue->budget_used       = budget->used;
    venue->budget_limit      = budget->limit;
    venue->budget_w_ns       = budget->w_ns;
    venue->budget_mono_ns    = now.mono_ns;
    venue->budget_sent       = 0;
    venue->hold_until_utc_ns = budget->hold_until_utc_ns;
    return ERR_OK;
}

/* ---- rates ------------------------------------------------------------------------------------------------------- */

bool risk_fx_usable(const risk_t *r, uint64_t ccy, uint64_t to_ccy, now_t now)
{
    const risk_fx_t *fx = risk_fx_find(r, ccy, to_ccy);
    return fx != NULL && risk_fx_fresh(r, fx, now);
}

/* ---- the trading day --------------------------------------------------------------------------------------------- */

void risk_volume(risk_t *r, uint32_t instrument_id, int64_t adv_qty)
{
    assert(instrument_id >= 1 && instrument_id <= r->cfg.instruments_max && adv_qty >= 0);
    risk_instrument(r, instrument_id)->adv_qty = adv_qty;
}

static int64_t clamped(i128_t px)
{
    return px > INT64_MAX ? INT64_MAX : px < -INT64_MAX ? -INT64_MAX : (int64_t)px;
}

bool risk_depth_px(const risk_t *r, const instrument_t *ins, const risk_md_t *md, now_t now, int64_t *up, int64_t *down)
{
    const risk_limits_t *limits = &risk_instrument(r, ins->def.instrument_id)->limits;
    if (limits->depth_bp == RISK_OFF) {
        return false;
    }
    const risk_ref_t ref   = risk_ref_find(ins, md, limits, now);
    const i128_t     width = (ref.px2 < 0 ? -ref.px2 : ref.px2) * limits->collar_bp; /* times 2 * BP */
    *up                    = clamped(div_floor(ref.px2 * BP + width, 2 * BP));
    *down                  = clamped(div_ceil(ref.px2 * BP - width, 2 * BP));
    return ref.known;
}

void risk_day(risk_t *r)
{
    for (uint32_t id = 1; id <= r->cfg.accounts_max; id++) {
        risk_account(r, id)->traded_value = 0;
    }
    for (uint32_t id = 1; id <= r->cfg.instruments_max; id++) {
        for (uint32_t strategy = 1; strategy <= r->cfg.strategies_max; strategy++) {
            risk_flow_t *flow = risk_flow(r, strategy, id);
            flow->otr_orders = flow->otr_trades = 0;
            flow->otr_qty = flow->otr_traded_qty = 0;
        }
    }
}
