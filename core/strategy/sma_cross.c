/* sma_cross: follows the crossing of two simple moving averages of the mid price.
 *
 *   every sample_ms of record time one mid goes into a ring of `slow` samples; with the ring full
 *   fast average > slow average  ->  target +size        below  ->  target -size (0 where it may not be short)
 *
 * The averages differ by more than band_ppm of the slow one, or the target stays as it is. What is missing to the
 * target is sent as one IOC limit order, cross_ppm through the far side (rounded to the tick towards the book), at most
 * one order under way and one per cooldown_ms; what an order did not get is tried again after the pause. When the feed
 * is not LIVE the samples are dropped: averages over a hole would be of no market.
 *
 * Mids are kept as bid + ask, averages as sums, so everything is an exact integer. */
#include <string.h>

#include "core/strategy/kit.h"

#define SMA_INSTRUMENTS 8u
#define SMA_SLOW_MAX 40
#define PPM 1000000

enum { NOTIONAL, SAMPLE_MS, FAST, SLOW, BAND_PPM, CROSS_PPM, COOLDOWN_MS, SHORT, BACKOFF_MS, INSTRUMENT, PARAMS };

static const kit_param_t params[PARAMS] = {
    [NOTIONAL] = {"notional", 1000, 1, 1000000000},     [SAMPLE_MS] = {"sample_ms", 1000, 1, 86400000},
    [FAST] = {"fast", 5, 1, SMA_SLOW_MAX - 1},          [SLOW] = {"slow", 20, 2, SMA_SLOW_MAX},
    [BAND_PPM] = {"band_ppm", 5, 0, PPM / 2},           [CROSS_PPM] = {"cross_ppm", 100, 0, PPM / 2},
    [COOLDOWN_MS] = {"cooldown_ms", 5000, 0, 86400000}, [SHORT] = {"short", 1, 0, 1},
    [BACKOFF_MS] = {"backoff_ms", 1000, 1, 3600000},    [INSTRUMENT] = {"instrument", 0, 0, UINT32_MAX},
};

typedef struct follow { /* one instrument */
    uint32_t  instrument_id;
    uint32_t  samples; /* in the ring, up to slow */
    uint32_t  next;    /* where the next one goes */
    int32_t   side;    /* of the target: 1, -1, 0 = not known yet */
    int64_t   size;
    int64_t   sample_ns; /* no sample before it */
    int64_t   order_ns;  /* no order before it */
    working_t order;
    int64_t   ring[SMA_SLOW_MAX]; /* bid + ask */
} follow_t;

typedef struct cross {
    int64_t  values[PARAMS];
    uint32_t strategy_id;
    uint32_t account_id;
    uint32_t count;
    uint32_t reserved;
    follow_t follows[SMA_INSTRUMENTS];
} cross_t;
_Static_assert(sizeof(cross_t) <= STRATEGY_STATE_MAX, "the engine gives no more");

static err_t cross_init(void *state, const strategy_cfg_t *cfg)
{
    cross_t *s = state;
    memset(s, 0, sizeof *s);
    s->strategy_id  = cfg->strategy_id;
    s->account_id   = cfg->account_id;
    const err_t err = kit_params(cfg, sma_cross_ops.name, params, PARAMS, s->values);
    if (err == ERR_OK && s->values[FAST] >= s->values[SLOW]) {
        return err_set(ERR_CONFIG, "%s: parameter fast is %lld, limit below slow %lld", sma_cross_ops.name,
                       (long long)s->values[FAST], (long long)s->values[SLOW]);
    }
    return err;
}

static follow_t *follow_find(cross_t *s, uint32_t instrument_id)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->follows[i].instrument_id == instrument_id) {
            return &s->follows[i];
        }
    }
    return NULL;
}

/* The state of an instrument, made at first sight; NULL when it is not ours or there are SMA_INSTRUMENTS already. */
static follow_t *follow_of(cross_t *s, uint32_t instrument_id)
{
    follow_t *f = follow_find(s, instrument_id);
    if (f != NULL) {
        return f;
    }
    if (s->count == SMA_INSTRUMENTS || (s->values[INSTRUMENT] != 0 && s->values[INSTRUMENT] != instrument_id)) {
        return NULL;
    }
    f                = &s->follows[s->count++];
    f->instrument_id = instrument_id;
    return f;
}

/* Sum of the newest n samples. */
static i128_t newest_sum(const follow_t *f, uint32_t slow, uint32_t n)
{
    i128_t sum = 0;
    for (uint32_t i = 1; i <= n; i++) {
        sum += f->ring[(f->next + slow - i) % slow];
    }
    return sum;
}

/* fast - slow against the band, both averages brought to the denominator fast_n * slow_n. */
static void update_side(const cross_t *s, follow_t *f)
{
    const uint32_t fast_n = (uint32_t)s->values[FAST];
    const uint32_t slow_n = (uint32_t)s->values[SLOW];
    const i128_t   fast   = newest_sum(f, slow_n, fast_n) * slow_n;
    const i128_t   slow   = newest_sum(f, slow_n, slow_n) * fast_n;
    const i128_t   band   = (slow < 0 ? -slow : slow) * s->values[BAND_PPM] / PPM;
    if (fast - slow > band) {
        f->side = 1;
    } else if (slow - fast > band) {
        f->side = -1;
    }
}

/* false = too early, or bid + ask does not fit: such a book is not followed. */
static bool sample(const cross_t *s, follow_t *f, const strategy_top_t *top, int64_t mono_ns)
{
    const uint32_t slow_n = (uint32_t)s->values[SLOW];
    int64_t        mid2   = 0;
    if (mono_ns < f->sample_ns || __builtin_add_overflow(top->bid_px, top->ask_px, &mid2)) {
        return false;
    }
    f->sample_ns     = mono_ns + s->values[SAMPLE_MS] * NS_PER_MS;
    f->ring[f->next] = mid2;
    f->next          = (f->next + 1) % slow_n;
    f->samples += f->samples < slow_n;
    if (f->samples == slow_n) {
        update_side(s, f);
    }
    return true;
}

/* Limit of an IOC order: so far through the other side, but never beyond int64. */
static int64_t limit_px(const cross_t *s, const instrument_t *ins, const strategy_top_t *top, bool buy)
{
    const int64_t from    = buy ? top->ask_px : top->bid_px;
    const int64_t through = kit_ppm(from, s->values[CROSS_PPM]);
    int64_t       px      = 0;
    if (buy) {
        return instrument_round_down(ins, __builtin_add_overflow(from, through, &px) ? from : px);
    }
    return instrument_round_up(ins, __builtin_sub_overflow(from, through, &px) ? from : px);
}

static void trade(const cross_t *s, const strategy_ctx_t *ctx, follow_t *f, const instrument_t *ins,
                  const strategy_top_t *top)
{
    const bool may_short  = s->values[SHORT] && ins->def.kind != INSTRUMENT_SPOT;
    f->size               = f->size != 0 ? f->size : kit_size(ins, top->bid_px, s->values[NOTIONAL]);
    const int64_t target  = f->side > 0 ? f->size : may_short ? -f->size : 0;
    const i128_t  missing = (i128_t)target - ctx->position(ctx, f->instrument_id);
    const bool    buy     = missing > 0;
    const int64_t px      = limit_px(s, ins, top, buy);
    int64_t       qty     = 0;
    if (!fit_i64(buy ? missing : -missing, &qty) || !kit_px_valid(ins, px)) {
        return;
    }
    qty -= qty % ins->def.lot;
    if (qty == 0 || qty < kit_size(ins, px, 0)) {
        return; /* a rest too small for the venue: it stays */
    }
    const order_req_t req = {.account_id      = s->account_id,
                             .strategy_id     = s->strategy_id,
                             .instrument_id   = f->instrument_id,
                             .px              = px,
                             .qty             = qty,
                             .created_mono_ns = ctx->now.mono_ns,
                             .action          = ORDER_ACTION_NEW,
                             .side            = buy ? SIDE_BUY : SIDE_SELL,
                             .ord_type        = ORD_TYPE_LIMIT,
                             .tif             = TIF_IOC};
    working_new(&f->order, ctx, &req, s->values[BACKOFF_MS] * NS_PER_MS);
    f->order_ns = ctx->now.mono_ns + s->values[COOLDOWN_MS] * NS_PER_MS;
}

static void cross_on_book(void *state, const strategy_ctx_t *ctx, uint32_t instrument_id)
{
    cross_t            *s   = state;
    const instrument_t *ins = ctx->instrument(ctx, instrument_id);
    follow_t           *f   = ins != NULL ? follow_of(s, instrument_id) : NULL;
    strategy_top_t      top;
    if (f == NULL || ctx->now.mono_ns < f->sample_ns || !ctx->top(ctx, instrument_id, &top) || top.bid_qty == 0 ||
        top.ask_qty == 0 || !sample(s, f, &top, ctx->now.mono_ns)) {
        return;
    }
    if (f->side != 0 && f->samples == (uint32_t)s->values[SLOW] && f->order.state == WORKING_FREE &&
        ctx->now.mono_ns >= f->order_ns && working_ready(&f->order, ctx)) {
        trade(s, ctx, f, ins, &top);
    }
}

static void cross_on_exec(void *state, const strategy_ctx_t *ctx, const exec_report_t *report)
{
    cross_t  *s = state;
    follow_t *f = follow_find(s, report->instrument_id);
    if (f != NULL) {
        working_exec(&f->order, ctx, report, s->values[BACKOFF_MS] * NS_PER_MS);
    }
}

static void cross_on_feed(void *state, const strategy_ctx_t *ctx, uint32_t instrument_id, feed_health_t health)
{
    (void)ctx;
    follow_t *f = follow_find(state, instrument_id);
    if (f != NULL && health != FEED_LIVE) {
        f->samples = 0;
        f->next    = 0;
    }
}

const strategy_ops_t sma_cross_ops = {
    .name        = "sma_cross",
    .abi_version = STRATEGY_ABI_VERSION,
    .state_bytes = sizeof(cross_t),
    .help = "follows the crossing of two averages of mid on up to 8 instruments: notional=1000 sample_ms=1000 fast=5 "
            "slow=20 (at most 40) band_ppm=5 cross_ppm=100 cooldown_ms=5000 short=1 backoff_ms=1000 instrument=0 (all)",
    .init = cross_init,
    .on_book = cross_on_book,
    .on_exec = cross_on_exec,
    .on_feed = cross_on_feed,
};
