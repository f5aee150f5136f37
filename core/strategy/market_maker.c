/* market_maker: quotes a bid and an ask around the mid of each instrument, leaning against its position.
 *
 *   centre = mid - mid * skew_ppm * position / (inventory * size)
 *   bid    = round_down(centre - half), ask = round_up(centre + half), neither through the other side of the book
 *   half   = the largest of half_spread_ppm of mid, half_spread_ticks, one tick
 *
 * One order a side at most; its price is replaced when the target is more than requote_ppm (and requote_ticks) away, at
 * most once per requote_ms. A side that would carry the position beyond inventory x size is withdrawn; spot is never
 * sold short unless spot_short. When the feed is not LIVE both sides are withdrawn, and tried again on ticks if
 * refused. */
#include <string.h>

#include "core/strategy/kit.h"

#define MM_INSTRUMENTS 16u
#define PPM 1000000

enum {
    NOTIONAL,
    HALF_PPM,
    HALF_TICKS,
    REQUOTE_PPM,
    REQUOTE_TICKS,
    REQUOTE_MS,
    SKEW_PPM,
    INVENTORY,
    POST_ONLY,
    SPOT_SHORT,
    BACKOFF_MS,
    INSTRUMENT,
    PARAMS
};

static const kit_param_t params[PARAMS] = {
    [NOTIONAL]      = {"notional", 1000, 1, 1000000000},
    [HALF_PPM]      = {"half_spread_ppm", 50, 0, PPM / 2},
    [HALF_TICKS]    = {"half_spread_ticks", 1, 0, 1000000},
    [REQUOTE_PPM]   = {"requote_ppm", 20, 0, PPM / 2},
    [REQUOTE_TICKS] = {"requote_ticks", 1, 0, 1000000},
    [REQUOTE_MS]    = {"requote_ms", 200, 0, 3600000},
    [SKEW_PPM]      = {"skew_ppm", 50, 0, PPM / 2},
    [INVENTORY]     = {"inventory", 5, 1, 1000},
    [POST_ONLY]     = {"post_only", 1, 0, 1},
    [SPOT_SHORT]    = {"spot_short", 0, 0, 1},
    [BACKOFF_MS]    = {"backoff_ms", 1000, 1, 3600000},
    [INSTRUMENT]    = {"instrument", 0, 0, UINT32_MAX},
};

typedef struct quotes { /* of one instrument; sides[0] buys, sides[1] sells */
    uint32_t  instrument_id;
    uint32_t  withdrawn; /* the feed is not LIVE: out, and stay out */
    int64_t   next_ns;   /* no new price before it */
    int64_t   size;      /* fixed at first sight, so that inventory counts in equal steps */
    working_t sides[2];
} quotes_t;

typedef struct maker {
    int64_t  values[PARAMS];
    uint32_t strategy_id;
    uint32_t account_id;
    uint32_t count;
    uint32_t reserved;
    quotes_t quotes[MM_INSTRUMENTS];
} maker_t;
_Static_assert(sizeof(maker_t) <= STRATEGY_STATE_MAX, "the engine gives no more");

typedef struct target { /* where a side should stand; px means something only when wanted */
    bool    wanted;
    int64_t px;
} target_t;

static err_t maker_init(void *state, const strategy_cfg_t *cfg)
{
    maker_t *m = state;
    memset(m, 0, sizeof *m);
    m->strategy_id = cfg->strategy_id;
    m->account_id  = cfg->account_id;
    return kit_params(cfg, market_maker_ops.name, params, PARAMS, m->values);
}

static quotes_t *quotes_find(maker_t *m, uint32_t instrument_id)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->quotes[i].instrument_id == instrument_id) {
            return &m->quotes[i];
        }
    }
    return NULL;
}

/* The quotes of an instrument, made at first sight; NULL when it is not ours or there are MM_INSTRUMENTS already. */
static quotes_t *quotes_of(maker_t *m, uint32_t instrument_id)
{
    quotes_t *q = quotes_find(m, instrument_id);
    if (q != NULL) {
        return q;
    }
    if (m->count == MM_INSTRUMENTS || (m->values[INSTRUMENT] != 0 && m->values[INSTRUMENT] != instrument_id)) {
        return NULL;
    }
    q                = &m->quotes[m->count++];
    q->instrument_id = instrument_id;
    return q;
}

static int64_t backoff_ns(const maker_t *m)
{
    return m->values[BACKOFF_MS] * NS_PER_MS;
}

/* Sums of prices are formed in 128 bits and saturate: a quote beyond int64 is refused by kit_px_valid or by risk. */
static int64_t saturate(i128_t v)
{
    int64_t out = v > 0 ? INT64_MAX : INT64_MIN;
    fit_i64(v, &out);
    return out;
}

static void targets(const maker_t *m, const instrument_t *ins, const quotes_t *q, const strategy_top_t *top,
                    int64_t position, target_t out[2])
{
    const int64_t mid         = (int64_t)(((i128_t)top->bid_px + top->ask_px) / 2);
    const int64_t tick        = instrument_tick_at(ins, mid);
    const i128_t  half_ticks  = mul_i64(tick, max_i64(m->values[HALF_TICKS], 1));
    const i128_t  half_ppm    = kit_ppm(mid, m->values[HALF_PPM]);
    const i128_t  half        = half_ppm > half_ticks ? half_ppm : half_ticks;
    const i128_t  limit       = mul_i64(q->size, m->values[INVENTORY]);
    const int64_t held        = saturate(position > limit ? limit : position < -limit ? -limit : position);
    const i128_t  skew        = mul_i64(kit_ppm(mid, m->values[SKEW_PPM]), held) / limit;
    const i128_t  floor       = ins->def.kind == INSTRUMENT_SPOT && !m->values[SPOT_SHORT] ? 0 : -limit;
    const int64_t highest_bid = saturate((i128_t)top->ask_px - 1);
    const int64_t lowest_ask  = saturate((i128_t)top->bid_px + 1);
    out[0].px                 = instrument_round_down(ins, min_i64(saturate(mid - skew - half), highest_bid));
    out[1].px                 = instrument_round_up(ins, max_i64(saturate(mid - skew + half), lowest_ask));
    out[0].wanted             = (i128_t)position + q->size <= limit && kit_px_valid(ins, out[0].px);
    out[1].wanted             = (i128_t)position - q->size >= floor && kit_px_valid(ins, out[1].px);
}

static bool moved(const maker_t *m, const instrument_t *ins, int64_t from, int64_t to)
{
    const i128_t away = from > to ? (i128_t)from - to : (i128_t)to - from;
    return away > kit_ppm(to, m->values[REQUOTE_PPM]) &&
           away > mul_i64(instrument_tick_at(ins, to), m->values[REQUOTE_TICKS]);
}

/* The size stays fixed while prices move, so it is the least that the venue takes at prices a tenth away, too. */
static int64_t quote_size(const instrument_t *ins, int64_t px, int64_t notional)
{
    const int64_t tenth = kit_ppm(px, PPM / 10);
    const int64_t below = saturate((i128_t)px - tenth), above = saturate((i128_t)px + tenth);
    const int64_t least = max_i64(kit_size(ins, below, 1), kit_size(ins, above, 1));
    return max_i64(kit_size(ins, px, notional), least);
}

/* true = a request was made (accepted or not): the instrument's pause begins. */
static bool quote(const maker_t *m, const strategy_ctx_t *ctx, const instrument_t *ins, const quotes_t *q, working_t *w,
                  uint8_t side, target_t target)
{
    if (!working_ready(w, ctx)) {
        return false;
    }
    if (!target.wanted) {
        const bool asks = w->state != WORKING_FREE && w->state != WORKING_PENDING_CANCEL;
        working_cancel(w, ctx, backoff_ns(m));
        return asks;
    }
    if (w->state == WORKING_LIVE && moved(m, ins, w->px, target.px)) {
        working_replace(w, ctx, target.px, backoff_ns(m));
        return true;
    }
    if (w->state != WORKING_FREE) {
        return false;
    }
    const order_req_t req = {.account_id      = m->account_id,
                             .strategy_id     = m->strategy_id,
                             .instrument_id   = q->instrument_id,
                             .px              = target.px,
                             .qty             = q->size,
                             .created_mono_ns = ctx->now.mono_ns,
                             .action          = ORDER_ACTION_NEW,
                             .side            = side,
                             .ord_type        = ORD_TYPE_LIMIT,
                             .tif             = TIF_GTC,
                             .exec_inst       = m->values[POST_ONLY] ? EXEC_INST_POST_ONLY : 0};
    working_new(w, ctx, &req, backoff_ns(m));
    return true;
}

static void maker_on_book(void *state, const strategy_ctx_t *ctx, uint32_t instrument_id)
{
    maker_t            *m   = state;
    const instrument_t *ins = ctx->instrument(ctx, instrument_id);
    quotes_t           *q   = ins != NULL ? quotes_of(m, instrument_id) : NULL;
    strategy_top_t      top;
    if (q == NULL || ctx->now.mono_ns < q->next_ns || !ctx->top(ctx, instrument_id, &top) || top.bid_qty == 0 ||
        top.ask_qty == 0) {
        return;
    }
    q->size = q->size != 0 ? q->size : quote_size(ins, top.bid_px, m->values[NOTIONAL]);
    if (q->size == 0) {
        return;
    }
    target_t target[2];
    q->withdrawn = 0;
    targets(m, ins, q, &top, ctx->position(ctx, instrument_id), target);
    const bool buys  = quote(m, ctx, ins, q, &q->sides[0], SIDE_BUY, target[0]);
    const bool sells = quote(m, ctx, ins, q, &q->sides[1], SIDE_SELL, target[1]);
    if (buys || sells) {
        q->next_ns = ctx->now.mono_ns + m->values[REQUOTE_MS] * NS_PER_MS;
    }
}

static void maker_on_exec(void *state, const strategy_ctx_t *ctx, const exec_report_t *report)
{
    maker_t  *m = state;
    quotes_t *q = quotes_find(m, report->instrument_id);
    if (q != NULL && (report->side == SIDE_BUY || report->side == SIDE_SELL)) {
        working_exec(&q->sides[report->side == SIDE_SELL], ctx, report, backoff_ns(m));
    }
}

static void withdraw(const maker_t *m, const strategy_ctx_t *ctx, quotes_t *q)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (working_ready(&q->sides[i], ctx)) {
            working_cancel(&q->sides[i], ctx, backoff_ns(m));
        }
    }
}

static void maker_on_feed(void *state, const strategy_ctx_t *ctx, uint32_t instrument_id, feed_health_t health)
{
    maker_t  *m = state;
    quotes_t *q = quotes_find(m, instrument_id);
    if (q == NULL) {
        return;
    }
    q->withdrawn = health != FEED_LIVE;
    if (q->withdrawn) {
        /* Not while backing off from a denial of something else: leaving the market does not wait. */
        working_cancel(&q->sides[0], ctx, backoff_ns(m));
        working_cancel(&q->sides[1], ctx, backoff_ns(m));
    }
}

static void maker_on_tick(void *state, const strategy_ctx_t *ctx)
{
    maker_t *m = state;
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->quotes[i].withdrawn) {
            withdraw(m, ctx, &m->quotes[i]);
        }
    }
}

const strategy_ops_t market_maker_ops = {
    .name        = "market_maker",
    .abi_version = STRATEGY_ABI_VERSION,
    .state_bytes = sizeof(maker_t),
    .help        = "quotes both sides of up to 16 instruments: notional=1000 half_spread_ppm=50 half_spread_ticks=1 "
                   "requote_ppm=20 requote_ticks=1 requote_ms=200 skew_ppm=50 inventory=5 post_only=1 spot_short=0 "
                   "backoff_ms=1000 instrument=0 (all)",
    .init        = maker_init,
    .on_book     = maker_on_book,
    .on_exec     = maker_on_exec,
    .on_feed     = maker_on_feed,
    .on_tick     = maker_on_tick,
};
