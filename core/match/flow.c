#include "core/match/flow.h"

#include <assert.h>
#include <string.h>

#include "core/match/clob.h"

#define REF_SYNTHETIC 0x80000000u /* who stands in a row of a clob: this bit and a slot of ours, or a row of own */
#define WINDOW_TICKS 4096u
#define SEED_ORDERS 400u /* a book begins with these */
#define KEEP_ORDERS 40u  /* a side with fewer is not taken from and not cancelled */
#define GAP_MIN_NS 1000
#define GAP_MAX_NS 3600000000000LL
#define OWN_MAX 16384u
#define LEVELS_EVENT (FLOW_FILLS_MAX + 2) /* that one event changes: each fill, where it rests, where it was */

/* ---- the listed instruments ------------------------------------------------------------------------------------- */

typedef struct listing {
    const char *symbol;
    const char *ccy;
    int64_t     fair_px;
    int64_t     step; /* finest tick in the band of prices; level_count of them, fair_px in the middle */
    int64_t     qty;  /* of the smallest synthetic order, a multiple of lot */
    int64_t     lot;
    int64_t     min_notional;
    int64_t     mult;
    uint32_t    level_count;
    uint32_t    band_count;
    tick_band_t bands[2];
    uint8_t     kind;
    int8_t      px_exp, qty_exp, money_exp;
} listing_t;

static const listing_t listings[FLOW_INSTRUMENTS] = {
    {"BTC-USDT", "USDT", 6160000, 1, 1000, 1, 500000000, 1, 16384, 1, {{0, 1}}, INSTRUMENT_SPOT, 2, 5, 8},
    {"BTC-USDT-PERP", "USDT", 616000, 1, 10, 1, 500000000, 1, 16384, 1, {{0, 1}}, INSTRUMENT_LINEAR, 1, 3, 8},
    {"BTC-USD-PERP", "BTC", 616000, 1, 5, 1, 0, 100, 16384, 1, {{0, 1}}, INSTRUMENT_INVERSE, 1, 0, 8},
    {"ETH-USDT", "USDT", 268000, 1, 500, 1, 500000000, 1, 16384, 1, {{0, 1}}, INSTRUMENT_SPOT, 2, 4, 8},
    {"ETH-USDT-PERP", "USDT", 268000, 1, 50, 1, 500000000, 1, 16384, 1, {{0, 1}}, INSTRUMENT_LINEAR, 2, 3, 8},
    {"SOL-USD-PERP", "SOL", 152400, 5, 10, 1, 0, 10, 16384, 1, {{0, 5}}, INSTRUMENT_INVERSE, 3, 0, 8},
    /* Where the Korean exchange's tick changes: 50 won below 50,000 and 100 from there on. */
    {"HWAL-KRW", "KRW", 50000, 50, 2, 1, 0, 1, 1024, 2, {{20000, 50}, {50000, 100}}, INSTRUMENT_SPOT, 0, 0, 0},
    {"DOGE-USDT", "USDT", 10500, 1, 1000, 10, 100000000, 1, 16384, 1, {{0, 1}}, INSTRUMENT_SPOT, 5, 0, 8},
};

static err_t listing_init(instrument_t *ins, uint32_t index, uint16_t venue_id)
{
    const listing_t       *l   = &listings[index];
    const int64_t          low = l->fair_px - l->step * (l->level_count / 2);
    const instrument_def_t def = {.instrument_id = index + 1,
                                  .venue_id      = venue_id,
                                  .kind          = l->kind,
                                  .px_exp        = l->px_exp,
                                  .qty_exp       = l->qty_exp,
                                  .money_exp     = l->money_exp,
                                  .settle_ccy    = ccy_pack(l->ccy),
                                  .lot           = l->lot,
                                  .min_qty       = l->lot,
                                  .min_notional  = l->min_notional,
                                  .mult          = l->mult,
                                  .band_lower    = low,
                                  .band_upper    = low + l->step * (l->level_count - 1)};
    return instrument_init(ins, &def, l->symbol, l->bands, l->band_count);
}

/* ---- state ------------------------------------------------------------------------------------------------------ */

typedef struct market { /* one instrument */
    instrument_t ins;
    fee_t        fee;
    int64_t      fair_px;
    int64_t      next_ns; /* its next synthetic event */
    uint64_t     rpt_seq;
    uint64_t     venue_seq;
    uint64_t     trade_id;
    level_t      best[2]; /* as told last */
    uint32_t     live;    /* synthetic orders in the book */
    uint32_t     seeded;  /* its snapshot has been given */
    uint32_t     free_count;
    uint32_t     reserved;
    uint16_t     free_slots[FLOW_ORDERS_MAX];
    uint64_t     order_ids[FLOW_ORDERS_MAX]; /* of synthetic orders by slot; 0 = free */
} market_t;

typedef struct outbox { /* market data of the last event */
    uint32_t market;
    uint32_t trade_count, trade_at;
    uint32_t bid_count, ask_count, level_at;
    uint32_t snapshot;
    uint32_t top_due;
    int64_t  ts_ns;
    union { /* the view given last */
        book_update_t update;
        top_t         top;
    };
    trade_t trades[FLOW_FILLS_MAX];
} outbox_t;

struct flow { /* then: levels of the outbox, markets, own table, clobs, each with the refs of its rows behind it */
    flow_cfg_t   cfg;
    uint64_t     rng[4];
    int64_t      now_ns;
    uint64_t     own_at; /* offsets in the block */
    uint64_t     clobs_at;
    uint64_t     refs_at;    /* in that of a clob */
    uint64_t     clob_bytes; /* of the largest, with its refs */
    outbox_t     outbox;
    clob_event_t fills[FLOW_FILLS_MAX];
    level_t      levels[];
};

static uint32_t orders_max(const flow_cfg_t *cfg)
{
    return FLOW_ORDERS_MAX + cfg->own_max;
}

static market_t *flow_markets(const flow_t *flow)
{
    return (market_t *)((uintptr_t)flow->levels + orders_max(&flow->cfg) * sizeof(level_t));
}
static own_t *flow_own(flow_t *flow)
{
    return (own_t *)((char *)flow + flow->own_at);
}
static clob_t *flow_clob(flow_t *flow, uint32_t index)
{
    return (clob_t *)((char *)flow + flow->clobs_at + index * flow->clob_bytes);
}
/* Who rests in a row of the clob of the event. */
static uint32_t *flow_ref(flow_t *flow, uint32_t row)
{
    return (uint32_t *)((char *)flow_clob(flow, flow->outbox.market) + flow->refs_at) + row;
}

static size_t align_up(size_t at, size_t align)
{
    return (at + align - 1) / align * align;
}

static clob_cfg_t listing_clob(const flow_cfg_t *cfg, uint32_t index)
{
    const listing_t *l = &listings[index];
    return (clob_cfg_t){.px_step = l->step, .orders_max = orders_max(cfg), .window_ticks = WINDOW_TICKS};
}

/* ---- random numbers: xoshiro256** ------------------------------------------------------------------------------- */

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static uint64_t rng_next(flow_t *flow)
{
    uint64_t      *s      = flow->rng;
    const uint64_t result = rotl(s[1] * 5, 7) * 9;
    const uint64_t t      = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

static void rng_seed(flow_t *flow, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) { /* splitmix64 */
        uint64_t z   = seed += 0x9E3779B97F4A7C15ULL;
        z            = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
        z            = (z ^ z >> 27) * 0x94D049BB133111EBULL;
        flow->rng[i] = z ^ z >> 31;
    }
}

static int64_t rng_below(flow_t *flow, int64_t n)
{
    return (int64_t)((u128_t)rng_next(flow) * (uint64_t)n >> 64);
}

/* Geometric with mean about mean, cut at 10 times that. */
static int64_t rng_geometric(flow_t *flow, int64_t mean)
{
    int64_t n = 0;
    while (n < 10 * mean && rng_below(flow, mean + 1) != 0) {
        n++;
    }
    return n;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

/* Where the parts lie; false and a sentence when cfg is out of range. */
static bool flow_layout(const flow_cfg_t *cfg, flow_t *head, size_t *bytes)
{
    if (cfg->instrument_count == 0 || cfg->instrument_count > FLOW_INSTRUMENTS) {
        err_set(ERR_ARG, "generated market: %u instruments, limit 1..%u", cfg->instrument_count, FLOW_INSTRUMENTS);
        return false;
    }
    if (cfg->own_max == 0 || cfg->own_max > OWN_MAX) {
        err_set(ERR_ARG, "generated market: %u open orders of ours, limit 1..%u", cfg->own_max, OWN_MAX);
        return false;
    }
    if (cfg->gap_mean_ns < GAP_MIN_NS || cfg->gap_mean_ns > GAP_MAX_NS) {
        err_set(ERR_ARG, "generated market: mean time between events is %lld ns, limit %d..%lld",
                (long long)cfg->gap_mean_ns, GAP_MIN_NS, GAP_MAX_NS);
        return false;
    }
    if (fee_check(&cfg->fee) != ERR_OK) {
        return false;
    }
    size_t clob_bytes = 0;
    for (uint32_t i = 0; i < cfg->instrument_count; i++) {
        const clob_cfg_t clob_cfg = listing_clob(cfg, i);
        const size_t     need     = clob_footprint(&clob_cfg);
        assert(need > 0);
        clob_bytes = need > clob_bytes ? need : clob_bytes;
    }
    head->cfg    = *cfg;
    head->own_at = align_up(sizeof *head + orders_max(cfg) * sizeof(level_t) + cfg->instrument_count * sizeof(market_t),
                            own_align());
    head->clobs_at   = align_up(head->own_at + own_footprint(cfg->own_max), clob_align());
    head->refs_at    = align_up(clob_bytes, sizeof(uint32_t));
    head->clob_bytes = align_up(head->refs_at + orders_max(cfg) * sizeof(uint32_t), clob_align());
    *bytes           = head->clobs_at + cfg->instrument_count * head->clob_bytes;
    return true;
}

size_t flow_align(void)
{
    return clob_align();
}

size_t flow_footprint(const flow_cfg_t *cfg)
{
    flow_t head;
    size_t bytes = 0;
    return flow_layout(cfg, &head, &bytes) ? bytes : 0;
}

const instrument_t *flow_instrument(const flow_t *flow, uint32_t index)
{
    assert(index < flow->cfg.instrument_count);
    return &flow_markets(flow)[index].ins;
}

/* ---- market data ------------------------------------------------------------------------------------------------ */

static bool outbox_empty(const outbox_t *box)
{
    return box->trade_at == box->trade_count && box->level_at == box->bid_count + box->ask_count && box->top_due == 0;
}

static void outbox_open(flow_t *flow, uint32_t index, int64_t ts_ns)
{
    outbox_t *box    = &flow->outbox;
    box->market      = index;
    box->ts_ns       = ts_ns;
    box->trade_count = box->trade_at = 0;
    box->bid_count = box->ask_count = box->level_at = 0;
    box->snapshot = box->top_due = 0;
}

/* A level of a side has changed: one entry however often. Levels of both sides are gathered, bids first at the end. */
static void outbox_level(flow_t *flow, side_t side, int64_t px)
{
    outbox_t      *box   = &flow->outbox;
    level_t       *bids  = flow->levels;
    const int64_t  qty   = clob_qty_at(flow_clob(flow, box->market), side, px);
    const uint32_t first = side == SIDE_BUY ? 0 : box->bid_count;
    const uint32_t count = side == SIDE_BUY ? box->bid_count : box->ask_count;
    for (uint32_t i = first; i < first + count; i++) {
        if (bids[i].px == px) {
            return;
        }
    }
    const uint32_t total = box->bid_count + box->ask_count;
    assert(total < LEVELS_EVENT);
    if (side == SIDE_BUY) {
        bids[total]            = bids[box->bid_count]; /* the first ask makes room: order within a side is free */
        bids[box->bid_count++] = (level_t){.px = px, .qty = qty};
    } else {
        bids[total] = (level_t){.px = px, .qty = qty};
        box->ask_count++;
    }
}

static void outbox_trade(flow_t *flow, side_t aggressor, int64_t px, int64_t qty)
{
    outbox_t *box = &flow->outbox;
    market_t *at  = &flow_markets(flow)[box->market];
    assert(box->trade_count < FLOW_FILLS_MAX);
    box->trades[box->trade_count++] = (trade_t){.instrument_id  = at->ins.def.instrument_id,
                                                .aggressor_side = (uint8_t)aggressor,
                                                .trade_id       = ++at->trade_id,
                                                .px             = px,
                                                .qty            = qty,
                                                .ts_event_ns    = box->ts_ns,
                                                .ts_recv_ns     = box->ts_ns};
}

/* The event is over: number its book message and see whether the best prices moved. */
static void outbox_close(flow_t *flow)
{
    outbox_t *box = &flow->outbox;
    market_t *at  = &flow_markets(flow)[box->market];
    level_t   best[2];
    clob_best(flow_clob(flow, box->market), SIDE_BUY, &best[0]);
    clob_best(flow_clob(flow, box->market), SIDE_SELL, &best[1]);
    at->venue_seq += box->bid_count + box->ask_count > 0;
    box->top_due = memcmp(best, at->best, sizeof best) != 0;
    memcpy(at->best, best, sizeof best);
}

static void outbox_snapshot(flow_t *flow)
{
    outbox_t     *box  = &flow->outbox;
    const clob_t *clob = flow_clob(flow, box->market);
    box->snapshot      = 1;
    box->bid_count     = clob_levels(clob, SIDE_BUY, flow->levels, orders_max(&flow->cfg));
    box->ask_count =
        clob_levels(clob, SIDE_SELL, flow->levels + box->bid_count, orders_max(&flow->cfg) - box->bid_count);
}

static void outbox_part(flow_t *flow, msg_t *msg)
{
    outbox_t      *box   = &flow->outbox;
    market_t      *at    = &flow_markets(flow)[box->market];
    const uint32_t total = box->bid_count + box->ask_count;
    const uint32_t from  = box->level_at;
    const uint32_t to    = total - from < BOOK_UPDATE_MAX_LEVELS ? total : from + BOOK_UPDATE_MAX_LEVELS;
    const uint32_t bids  = from >= box->bid_count ? 0 : (to < box->bid_count ? to : box->bid_count) - from;
    box->update          = (book_update_t){.instrument_id   = at->ins.def.instrument_id,
                                           .rpt_seq         = ++at->rpt_seq,
                                           .venue_seq_first = at->venue_seq,
                                           .venue_seq       = at->venue_seq,
                                           .ts_event_ns     = box->ts_ns,
                                           .ts_recv_ns      = box->ts_ns,
                                           .bid_count       = (uint16_t)bids,
                                           .ask_count       = (uint16_t)(to - from - bids)};
    box->update.flags    = (box->snapshot != 0 ? BOOK_FLAG_SNAPSHOT : 0u) | (from == 0 ? BOOK_FLAG_FIRST : 0u) |
                        (to == total ? BOOK_FLAG_LAST : 0u);
    box->level_at = to;
    *msg = (msg_t){.type = MSG_BOOK_UPDATE, .tail_count = to - from, .body = &box->update, .tail = flow->levels + from};
}

bool flow_md_next(flow_t *flow, msg_t *msg)
{
    outbox_t       *box = &flow->outbox;
    const market_t *at  = &flow_markets(flow)[box->market];
    if (box->trade_at < box->trade_count) {
        *msg = (msg_t){.type = MSG_TRADE, .body = &box->trades[box->trade_at++]};
        return true;
    }
    if (box->level_at < box->bid_count + box->ask_count) {
        outbox_part(flow, msg);
        return true;
    }
    if (box->top_due == 0) {
        return false;
    }
    box->top_due = 0;
    box->top     = (top_t){.instrument_id = at->ins.def.instrument_id,
                           .venue_seq     = at->venue_seq,
                           .bid_px        = at->best[0].px,
                           .bid_qty       = at->best[0].qty,
                           .ask_px        = at->best[1].px,
                           .ask_qty       = at->best[1].qty,
                           .ts_event_ns   = box->ts_ns,
                           .ts_recv_ns    = box->ts_ns};
    *msg         = (msg_t){.type = MSG_TOP, .body = &box->top};
    return true;
}

/* ---- what an order does ----------------------------------------------------------------------------------------- */

static side_t side_opposite(side_t side)
{
    return side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
}

static void synthetic_drop(market_t *at, uint32_t slot)
{
    at->order_ids[slot]              = 0;
    at->free_slots[at->free_count++] = (uint16_t)slot;
    at->live--;
}

/* The fills of one order: trades, changed levels, reports to us on either end. taker: our row, OWN_NONE = a stranger.
 */
static void event_fills(flow_t *flow, uint32_t taker, side_t side, const clob_out_t *fills, exec_out_t *out)
{
    const int64_t ts_ns = flow->outbox.ts_ns;
    market_t     *at    = &flow_markets(flow)[flow->outbox.market];
    own_t        *own   = flow_own(flow);
    for (uint32_t i = 0; i < fills->count; i++) {
        const clob_event_t *fill = &fills->events[i];
        const uint32_t      ref  = *flow_ref(flow, fill->maker_row);
        outbox_trade(flow, side, fill->px, fill->qty);
        outbox_level(flow, side_opposite(side), fill->px);
        if ((ref & REF_SYNTHETIC) == 0) {
            own_fill(own, ref, &at->ins, &at->fee, fill->px, fill->qty, LIQUIDITY_MAKER, ts_ns, out);
        } else if (fill->maker_leaves_qty == 0) {
            synthetic_drop(at, ref & ~REF_SYNTHETIC);
        }
        if (taker != OWN_NONE) {
            own_fill(own, taker, &at->ins, &at->fee, fill->px, fill->qty, LIQUIDITY_TAKER, ts_ns, out);
        }
    }
}

/* ---- synthetic orders ------------------------------------------------------------------------------------------- */

/* A synthetic order; it may not come to be (no slot, more fills than an event may have): the event is quiet then. */
static void synthetic_submit(flow_t *flow, ord_type_t type, side_t side, int64_t px, int64_t qty, exec_out_t *out)
{
    market_t  *at   = &flow_markets(flow)[flow->outbox.market];
    clob_out_t done = {.events = flow->fills, .cap = FLOW_FILLS_MAX};
    const bool rest = type == ORD_TYPE_LIMIT;
    if (rest && at->free_count == 0) {
        return;
    }
    const uint32_t     slot  = rest ? at->free_slots[at->free_count - 1] : 0;
    const clob_order_t order = {.id       = own_order_id(flow_own(flow)),
                                .px       = px,
                                .qty      = qty,
                                .side     = (uint8_t)side,
                                .ord_type = (uint8_t)type,
                                .tif      = rest ? TIF_GTC : TIF_IOC};
    const err_t        err   = clob_submit(flow_clob(flow, flow->outbox.market), &order, &done);
    if (err != ERR_OK) {
        assert(err == ERR_FULL);
        return;
    }
    if (done.resting) {
        at->free_count--;
        at->order_ids[slot] = order.id;
        at->live++;
    }
    event_fills(flow, OWN_NONE, side, &done, out);
    if (done.resting) { /* its row may have been that of an order that it took: after the fills */
        *flow_ref(flow, done.row) = REF_SYNTHETIC | slot;
        outbox_level(flow, side, px);
    }
}

static void synthetic_limit(flow_t *flow, exec_out_t *out)
{
    market_t        *at   = &flow_markets(flow)[flow->outbox.market];
    const listing_t *l    = &listings[flow->outbox.market];
    const side_t     side = rng_below(flow, 2) == 0 ? SIDE_BUY : SIDE_SELL;
    const int64_t    tick = instrument_tick_at(&at->ins, at->fair_px);
    const int64_t    mean = rng_below(flow, 8) == 0 ? 60 : 6; /* most stand close, some far away */
    const int64_t    away = (1 + rng_geometric(flow, mean)) * tick;
    const int64_t    qty  = (1 + rng_geometric(flow, 4)) * l->qty;
    int64_t          px   = side == SIDE_BUY ? at->fair_px - away : at->fair_px + away;
    px                    = min_i64(max_i64(px, at->ins.def.band_lower), at->ins.def.band_upper);
    px                    = side == SIDE_BUY ? instrument_round_up(&at->ins, px) : instrument_round_down(&at->ins, px);
    synthetic_submit(flow, ORD_TYPE_LIMIT, side, px, qty, out);
}

static void synthetic_market(flow_t *flow, exec_out_t *out)
{
    const side_t  side = rng_below(flow, 2) == 0 ? SIDE_BUY : SIDE_SELL;
    const int64_t qty  = (1 + rng_geometric(flow, 8)) * listings[flow->outbox.market].qty;
    if (clob_count(flow_clob(flow, flow->outbox.market), side_opposite(side)) > KEEP_ORDERS) {
        synthetic_submit(flow, ORD_TYPE_MARKET, side, 0, qty, out);
    }
}

static void synthetic_cancel(flow_t *flow)
{
    market_t   *at   = &flow_markets(flow)[flow->outbox.market];
    clob_t     *clob = flow_clob(flow, flow->outbox.market);
    clob_rest_t rest;
    uint32_t    slot = (uint32_t)rng_below(flow, FLOW_ORDERS_MAX);
    if (at->live == 0) {
        return;
    }
    while (at->order_ids[slot] == 0) {
        slot = (slot + 1) % FLOW_ORDERS_MAX;
    }
    const bool found = clob_find(clob, at->order_ids[slot], &rest);
    assert(found);
    if (found && clob_count(clob, rest.side) > KEEP_ORDERS) {
        clob_cancel(clob, at->order_ids[slot], &rest.leaves_qty);
        synthetic_drop(at, slot);
        outbox_level(flow, rest.side, rest.px);
    }
}

/* One tick either way, more often towards the middle the further out it is; at most a quarter of the band away. */
static void fair_walk(flow_t *flow)
{
    market_t        *at    = &flow_markets(flow)[flow->outbox.market];
    const listing_t *l     = &listings[flow->outbox.market];
    const int64_t    reach = l->step * (l->level_count / 4);
    const bool       up    = rng_below(flow, 2 * reach) >= reach + (at->fair_px - l->fair_px);
    const int64_t    tick  = instrument_tick_at(&at->ins, up ? at->fair_px : at->fair_px - 1);
    at->fair_px += up ? tick : -tick;
}

static void synthetic_event(flow_t *flow, exec_out_t *out)
{
    market_t *at = &flow_markets(flow)[flow->outbox.market];
    if (rng_below(flow, 4) == 0) {
        fair_walk(flow);
    }
    const int64_t dice = rng_below(flow, 100);
    if (dice < 10) {
        synthetic_market(flow, out);
    } else if (rng_below(flow, FLOW_ORDERS_MAX) >= at->live) {
        synthetic_limit(flow, out); /* at half of the maximum, additions and cancels are as frequent */
    } else {
        synthetic_cancel(flow);
    }
}

/* ---- life, continued: a new market has books -------------------------------------------------------------------- */

static void market_new(flow_t *flow, uint32_t index)
{
    market_t        *at       = &flow_markets(flow)[index];
    const clob_cfg_t clob_cfg = listing_clob(&flow->cfg, index);
    const err_t      err      = listing_init(&at->ins, index, flow->cfg.venue_id);
    assert(err == ERR_OK);
    clob_new(flow_clob(flow, index), &clob_cfg);
    fee_begin(&at->fee, &flow->cfg.fee);
    at->fair_px    = listings[index].fair_px;
    at->next_ns    = flow->cfg.start_ns;
    at->free_count = FLOW_ORDERS_MAX;
    for (uint32_t slot = 0; slot < FLOW_ORDERS_MAX; slot++) {
        at->free_slots[slot] = (uint16_t)(FLOW_ORDERS_MAX - 1 - slot);
    }
    while (at->live < SEED_ORDERS) { /* around one fair price: bids stay below, asks above it, so none trades */
        outbox_open(flow, index, flow->cfg.start_ns);
        synthetic_limit(flow, NULL);
    }
    outbox_open(flow, index, flow->cfg.start_ns);
}

flow_t *flow_new(void *mem, const flow_cfg_t *cfg)
{
    flow_t head  = {0};
    size_t bytes = 0;
    if (!flow_layout(cfg, &head, &bytes)) {
        return NULL;
    }
    flow_t *flow = mem;
    memset(flow, 0, bytes);
    flow->cfg        = *cfg;
    flow->own_at     = head.own_at;
    flow->clobs_at   = head.clobs_at;
    flow->refs_at    = head.refs_at;
    flow->clob_bytes = head.clob_bytes;
    flow->now_ns     = cfg->start_ns;
    rng_seed(flow, cfg->seed);
    own_new(flow_own(flow), cfg->own_max, cfg->session);
    for (uint32_t i = 0; i < cfg->instrument_count; i++) {
        market_new(flow, i);
    }
    return flow;
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

static uint32_t flow_first(const flow_t *flow)
{
    const market_t *markets = flow_markets(flow);
    uint32_t        first   = 0;
    for (uint32_t i = 1; i < flow->cfg.instrument_count; i++) {
        first = markets[i].next_ns < markets[first].next_ns ? i : first;
    }
    return first;
}

int64_t flow_due_ns(const flow_t *flow)
{
    return flow_markets(flow)[flow_first(flow)].next_ns;
}

/* May an event begin? ERR_FULL and ERR_STATE of both entries. */
static err_t flow_ready(const flow_t *flow, const exec_out_t *out)
{
    if (!outbox_empty(&flow->outbox)) {
        return err_set(ERR_STATE, "generated market: market data of the last event was not fetched to its end");
    }
    return own_room(out) < FLOW_REPORTS_MAX ? ERR_FULL : ERR_OK;
}

err_t flow_step(flow_t *flow, int64_t until_ns, exec_out_t *out)
{
    const uint32_t index = flow_first(flow);
    market_t      *at    = &flow_markets(flow)[index];
    const err_t    err   = flow_ready(flow, out);
    if (err != ERR_OK || at->next_ns > until_ns) {
        return err != ERR_OK ? err : ERR_EMPTY;
    }
    flow->now_ns = at->next_ns;
    outbox_open(flow, index, at->next_ns);
    if (at->seeded == 0) {
        at->seeded = 1;
        outbox_snapshot(flow);
    } else {
        synthetic_event(flow, out);
    }
    outbox_close(flow);
    at->next_ns += 1 + rng_below(flow, 2 * flow->cfg.gap_mean_ns - 1);
    return ERR_OK;
}

err_t flow_snapshot(flow_t *flow, uint32_t index)
{
    assert(index < flow->cfg.instrument_count);
    if (!outbox_empty(&flow->outbox) || flow_markets(flow)[index].seeded == 0) {
        return err_set(ERR_STATE, "generated market: no snapshot of instrument %u now: %s", index + 1,
                       outbox_empty(&flow->outbox) ? "its first one has not been given"
                                                   : "market data of the last event was not fetched to its end");
    }
    outbox_open(flow, index, flow->now_ns);
    outbox_snapshot(flow);
    flow->outbox.top_due = 1;
    return ERR_OK;
}

void flow_resume(flow_t *flow, int64_t ts_ns)
{
    const int64_t late = ts_ns - flow_due_ns(flow);
    for (uint32_t i = 0; late > 0 && i < flow->cfg.instrument_count; i++) {
        flow_markets(flow)[i].next_ns += late;
    }
}

void flow_pace(flow_t *flow, int64_t gap_mean_ns)
{
    flow->cfg.gap_mean_ns = min_i64(max_i64(gap_mean_ns, GAP_MIN_NS), GAP_MAX_NS);
}

const own_t *flow_orders(const flow_t *flow)
{
    return (const own_t *)((const char *)flow + flow->own_at);
}

int64_t flow_now_ns(const flow_t *flow)
{
    return flow->now_ns;
}

/* ---- orders of ours --------------------------------------------------------------------------------------------- */

static venue_reject_t reject_of(err_t err)
{
    assert(err == ERR_CROSSED || err == ERR_FULL); /* the door has seen to the rest */
    return err == ERR_CROSSED ? VENUE_REJECT_POST_ONLY : VENUE_REJECT_FILLS;
}

static void request_new(flow_t *flow, const order_req_t *req, exec_out_t *out)
{
    own_t         *own   = flow_own(flow);
    clob_t        *clob  = flow_clob(flow, flow->outbox.market);
    const int64_t  ts_ns = flow->outbox.ts_ns;
    const bool     known = req->instrument_id == flow->outbox.market + 1;
    clob_out_t     done  = {.events = flow->fills, .cap = FLOW_FILLS_MAX};
    venue_reject_t code  = own_check_new(own, known ? flow_instrument(flow, flow->outbox.market) : NULL, req);
    if (code == VENUE_REJECT_NONE && req->qty > CLOB_QTY_MAX) {
        code = VENUE_REJECT_QTY;
    }
    if (code == VENUE_REJECT_NONE) {
        const clob_order_t order = {.id        = own->order_count + 1, /* that own_open is about to give */
                                    .px        = req->px,
                                    .qty       = req->qty,
                                    .side      = req->side,
                                    .ord_type  = req->ord_type,
                                    .tif       = req->tif,
                                    .post_only = (req->exec_inst & EXEC_INST_POST_ONLY) != 0,
                                    .capped    = req->px != 0};
        const err_t        err   = clob_submit(clob, &order, &done);
        code                     = err == ERR_OK ? VENUE_REJECT_NONE : reject_of(err);
    }
    if (code != VENUE_REJECT_NONE) {
        own_report_reject(own, req, code, ts_ns, out);
        return;
    }
    const uint32_t row = own_open(own, req, ts_ns, out);
    event_fills(flow, row, (side_t)req->side, &done, out);
    if (done.resting) {
        *flow_ref(flow, done.row) = row;
        outbox_level(flow, (side_t)req->side, req->px);
    } else if (done.leaves_qty > 0) {
        own_close(own, row, EXEC_TYPE_EXPIRED, ts_ns, out);
    }
}

static void request_replace(flow_t *flow, uint32_t row, const order_req_t *req, exec_out_t *out)
{
    own_t            *own    = flow_own(flow);
    const own_order_t before = own_rows(own)[row];
    const side_t      side   = (side_t)before.req.side;
    const bool        post   = (before.req.exec_inst & EXEC_INST_POST_ONLY) != 0;
    const int64_t     leaves = req->qty - before.cum_qty;
    clob_out_t        done   = {.events = flow->fills, .cap = FLOW_FILLS_MAX};
    venue_reject_t    code   = own_check_replace(flow_instrument(flow, flow->outbox.market), &before, req);
    if (code == VENUE_REJECT_NONE && leaves > CLOB_QTY_MAX) {
        code = VENUE_REJECT_QTY;
    }
    if (code == VENUE_REJECT_NONE) {
        const clob_replace_t change = {.id = before.order_id, .px = req->px, .leaves_qty = leaves, .post_only = post};
        const err_t          err    = clob_replace(flow_clob(flow, flow->outbox.market), &change, &done);
        code                        = err == ERR_OK ? VENUE_REJECT_NONE : reject_of(err);
    }
    if (code != VENUE_REJECT_NONE) {
        own_report_reject(own, req, code, flow->outbox.ts_ns, out);
        return;
    }
    own_replaced(own, row, req, flow->outbox.ts_ns, out);
    event_fills(flow, row, side, &done, out);
    outbox_level(flow, side, before.req.px);
    if (done.resting) {
        outbox_level(flow, side, req->px);
    }
}

static void request_cancel(flow_t *flow, uint32_t row, exec_out_t *out)
{
    own_t            *own    = flow_own(flow);
    const own_order_t before = own_rows(own)[row];
    int64_t           leaves;
    const err_t       err = clob_cancel(flow_clob(flow, flow->outbox.market), before.order_id, &leaves);
    assert(err == ERR_OK);
    own_close(own, row, EXEC_TYPE_CANCELED, flow->outbox.ts_ns, out);
    outbox_level(flow, (side_t)before.req.side, before.req.px);
}

err_t flow_request(flow_t *flow, const order_req_t *req, int64_t ts_ns, exec_out_t *out)
{
    const err_t err = flow_ready(flow, out);
    if (err != ERR_OK) {
        return err;
    }
    const int64_t due_ns = flow_due_ns(flow);
    if (ts_ns < flow->now_ns || due_ns < ts_ns || due_ns == flow->cfg.start_ns) { /* there: a snapshot is missing */
        return err_set(
            ERR_STATE,
            "generated market: order request at %lld ns, limit %lld (now) to %lld (next event), after the snapshots",
            (long long)ts_ns, (long long)flow->now_ns, (long long)due_ns);
    }
    flow->now_ns          = ts_ns;
    own_t         *own    = flow_own(flow);
    const bool     is_new = req->action == ORDER_ACTION_NEW;
    const uint32_t row    = is_new ? OWN_NONE : own_find(own, req->orig_cl_ord_id);
    const uint32_t id     = row == OWN_NONE ? req->instrument_id : own_rows(own)[row].req.instrument_id;
    outbox_open(flow, id >= 1 && id <= flow->cfg.instrument_count ? id - 1 : 0, ts_ns);
    if (is_new) {
        request_new(flow, req, out);
    } else if (req->action != ORDER_ACTION_REPLACE && req->action != ORDER_ACTION_CANCEL) {
        own_report_reject(own, req, VENUE_REJECT_UNSUPPORTED, ts_ns, out);
    } else if (row == OWN_NONE) {
        own_report_reject(own, req, VENUE_REJECT_UNKNOWN_ORDER, ts_ns, out);
    } else if (req->action == ORDER_ACTION_REPLACE) {
        request_replace(flow, row, req, out);
    } else {
        request_cancel(flow, row, out);
    }
    outbox_close(flow);
    return ERR_OK;
}

_Static_assert(sizeof(market_t) % 8 == 0 && sizeof(flow_t) % 8 == 0, "parts follow each other, 8-aligned");
_Static_assert(FLOW_ORDERS_MAX >= LEVELS_EVENT, "the levels of one event fit the outbox");
