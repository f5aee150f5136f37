#include "core/book/mbo.h"

#include <assert.h>
#include <string.h>

#include "core/book/ladder.h"
#include "core/types/hash.h"

#define MBO_MAGIC 0x3330304f424d4c48ULL
#define NIL UINT32_MAX

static_assert(MBO_PX_LIMIT == LADDER_PX_LIMIT && MBO_LEVELS_MAX <= LADDER_LEVELS_MAX && NIL == LADDER_NONE, "ladder");

#define unlikely(x) __builtin_expect(!!(x), 0)

typedef struct row { /* an order; a free row has only next */
    uint64_t id;
    int64_t  qty;
    uint32_t at; /* of its level, see level_at */
    uint32_t ask;
    uint32_t next;
    uint32_t prev;
} row_t;

#define PLACES 7u

/* Ids: a byte of each id's hash says where it may be, all of them are compared at once. The level is here too, though the
 * row knows it: all that a message will write then has its address early, and where processors do not let loads pass
 * stores of unknown address (speculative store bypass disabled) the next message need not wait for the row. */
typedef struct bucket {
    _Alignas(64) uint64_t tags; /* a byte each, top bit set; 0 = free. The last byte is 0 */
    uint32_t row[PLACES];
    uint32_t at[PLACES]; /* as in the row */
} bucket_t;

static_assert(sizeof(bucket_t) == 64, "a line");

/* Then: buckets, rows, ladder of the bids, of the asks. The first line is all that is needed of the head by a message that
 * finds its level and leaves it; its best levels are copies, so that reading them costs no line of the ladders. */
struct mbo {
    _Alignas(64) mbo_top_t best[2]; /* first, for mbo_best */
    uint32_t buckets;
    uint32_t rows_at;  /* bytes from here, as ladder_at */
    uint32_t free_row; /* recycled last in, first out; NIL = none */
    uint8_t  health, reason, queues, reserved;

    uint32_t ladder_at[2];
    uint64_t magic;
    uint32_t rows_seen; /* those at and above were never used */
    uint32_t orders_max, levels_max;
};

static_assert(sizeof(struct mbo) == 128, "two lines");

static inline row_t *mbo_rows(const mbo_t *mbo)
{
    return (row_t *)((uintptr_t)mbo + mbo->rows_at);
}
static inline bucket_t *mbo_buckets(const mbo_t *mbo)
{
    return (bucket_t *)((uintptr_t)mbo + sizeof(mbo_t));
}
static inline ladder_t *mbo_ladder(const mbo_t *mbo, uint32_t ask)
{
    return (ladder_t *)((uintptr_t)mbo + mbo->ladder_at[ask]);
}
/* Levels of both sides are numbered through, in their own size from the mbo on: a number is an address without a look at the
 * side. */
static_assert(sizeof(ladder_level_t) == 32, "a divisor of the alignment of ladders");

static inline ladder_level_t *level_at(const mbo_t *mbo, uint32_t at)
{
    return (ladder_level_t *)(uintptr_t)mbo + at;
}
static inline ladder_level_t *mbo_level_of(const mbo_t *mbo, uint32_t ask, uint32_t level_row)
{
    return ladder_level(mbo_ladder(mbo, ask), level_row);
}
static inline ladder_level_t *row_level(const mbo_t *mbo, const row_t *row)
{
    return level_at(mbo, row->at);
}
/* Its row in the ladder of its side. */
static inline uint32_t row_level_row(const mbo_t *mbo, const row_t *row)
{
    return (uint32_t)(row_level(mbo, row) - mbo_level_of(mbo, row->ask, 0));
}

/* After a level came or went, or may have. */
static void best_set(mbo_t *mbo, uint32_t ask)
{
    const uint32_t row = ladder_best(mbo_ladder(mbo, ask));
    mbo->best[ask].at  = NIL;
    mbo->best[ask].px  = 0;
    mbo->best[ask].qty = 0;
    if (row != NIL) {
        const ladder_level_t *level = mbo_level_of(mbo, ask, row);
        mbo->best[ask].at           = (uint32_t)(level - level_at(mbo, 0));
        mbo->best[ask].px           = level->px;
        mbo->best[ask].qty          = level->qty;
    }
}

/* A level that stays has another quantity: no branch, for nobody can tell whether it is the best one. Both sides are written,
 * always: a reader then finds its quantities where the last writer put them, and the processor need not guess which
 * side that was. */
static inline void best_qty_set(mbo_t *mbo, uint32_t at, int64_t qty)
{
    const int64_t bid   = mbo->best[0].qty;
    const int64_t offer = mbo->best[1].qty;
    const int64_t bids  = -(int64_t)(at == mbo->best[0].at);
    const int64_t asks  = -(int64_t)(at == mbo->best[1].at);
    mbo->best[0].qty    = bid ^ ((bid ^ qty) & bids);
    mbo->best[1].qty    = offer ^ ((offer ^ qty) & asks);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

size_t mbo_align(void)
{
    return _Alignof(mbo_t);
}

/* A third of the places stays free. */
static uint32_t bucket_count(const mbo_cfg_t *cfg)
{
    return (3 * cfg->orders_max + 2 * PLACES - 1) / (2 * PLACES);
}

static ladder_cfg_t ladder_cfg(const mbo_cfg_t *cfg, uint32_t ask)
{
    return (ladder_cfg_t){.tick         = cfg->tick,
                          .window_ticks = cfg->window_ticks == 0 ? MBO_WINDOW_TICKS : cfg->window_ticks,
                          .levels_max   = cfg->levels_max,
                          .side         = ask ? SIDE_SELL : SIDE_BUY};
}

size_t mbo_footprint(const mbo_cfg_t *cfg)
{
    if (cfg->orders_max == 0 || cfg->orders_max > MBO_ORDERS_MAX) {
        err_set(ERR_ARG, "mbo: %u orders, limit 1..%u", cfg->orders_max, MBO_ORDERS_MAX);
        return 0;
    }
    if (cfg->levels_max == 0 || cfg->levels_max > MBO_LEVELS_MAX) {
        err_set(ERR_ARG, "mbo: %u levels, limit 1..%u", cfg->levels_max, MBO_LEVELS_MAX);
        return 0;
    }
    size_t bytes = sizeof(mbo_t);
    for (uint32_t ask = 0; ask < 2; ask++) {
        const ladder_cfg_t ladder = ladder_cfg(cfg, ask);
        const size_t       part   = ladder_footprint(&ladder);
        if (part == 0) {
            err_wrap(ERR_ARG, "mbo");
            return 0;
        }
        bytes += part;
    }
    bytes += cfg->orders_max * sizeof(row_t) + bucket_count(cfg) * sizeof(bucket_t) + 32;
    return (bytes + _Alignof(mbo_t) - 1) & ~(_Alignof(mbo_t) - 1);
}

mbo_t *mbo_new(void *mem, const mbo_cfg_t *cfg)
{
    const size_t bytes = mbo_footprint(cfg);
    if (bytes == 0) {
        return NULL;
    }
    mbo_t *mbo   = memset(mem, 0, bytes);
    *mbo         = (mbo_t){.magic      = MBO_MAGIC,
                           .buckets    = bucket_count(cfg),
                           .best       = {{.at = NIL}, {.at = NIL}},
                           .free_row   = NIL,
                           .orders_max = cfg->orders_max,
                           .levels_max = cfg->levels_max,
                           .health     = FEED_BROKEN,
                           .reason     = FEED_REASON_START,
                           .queues     = !cfg->no_queues};
    mbo->rows_at = (uint32_t)(sizeof(mbo_t) + mbo->buckets * sizeof(bucket_t));
    uint32_t at  = (mbo->rows_at + cfg->orders_max * (uint32_t)sizeof(row_t) + 63) & ~63u;
    for (uint32_t ask = 0; ask < 2; ask++) {
        const ladder_cfg_t ladder = ladder_cfg(cfg, ask);
        ladder_new((uint8_t *)mem + at, &ladder);
        mbo->ladder_at[ask] = at;
        at += (uint32_t)ladder_footprint(&ladder);
    }
    return mbo;
}

mbo_t *mbo_join(void *mem)
{
    mbo_t *mbo = mem;
    if (mbo->magic != MBO_MAGIC) {
        err_set(ERR_STATE, "mbo: no book in this block: magic is %llx, %llx expected", (unsigned long long)mbo->magic,
                (unsigned long long)MBO_MAGIC);
        return NULL;
    }
    return mbo;
}

void mbo_clear(mbo_t *mbo)
{
    memset(mbo_buckets(mbo), 0, mbo->buckets * sizeof(bucket_t));
    ladder_clear(mbo_ladder(mbo, 0));
    ladder_clear(mbo_ladder(mbo, 1));
    best_set(mbo, 0);
    best_set(mbo, 1);
    mbo->free_row       = NIL;
    mbo->rows_seen      = 0;
    mbo->best[0].orders = mbo->best[1].orders = 0;
    mbo->health                               = FEED_RECOVERING;
    mbo->reason                               = FEED_REASON_START;
}

/* The book is not to be trusted from here on; returns err, whose sentence is set already. */
static err_t mbo_broken(mbo_t *mbo, feed_reason_t reason, err_t err)
{
    mbo->health = FEED_BROKEN;
    mbo->reason = (uint8_t)reason;
    return err;
}

err_t mbo_feed(mbo_t *mbo, feed_health_t health, feed_reason_t reason)
{
    if (health <= FEED_NONE || health > FEED_RECOVERING || (unsigned)reason >= FEED_REASON_COUNT) {
        return mbo_broken(mbo, FEED_REASON_GARBLED,
                          err_set(ERR_ARG, "mbo: feed health %d, limit 1..%d; reason %d, limit 0..%d", (int)health,
                                  FEED_RECOVERING, (int)reason, FEED_REASON_COUNT - 1));
    }
    if (health == FEED_BROKEN || health == FEED_RECOVERING) {
        return mbo_broken(mbo, reason, ERR_OK);
    }
    if (health == FEED_STALE && mbo->health == FEED_LIVE) {
        mbo->health = FEED_STALE;
        mbo->reason = (uint8_t)reason;
    } else if (health == FEED_LIVE && mbo->health != FEED_BROKEN) {
        mbo->health = FEED_LIVE;
        mbo->reason = FEED_REASON_NONE;
    }
    return ERR_OK;
}

/* ---- ids -------------------------------------------------------------------------------------------------------------
 *
 * An id is in the first bucket from its home on, round the table, that had a place free: so every bucket between home and it is
 * full, and a search ends at the first that is not. A third of the places is free: there is one. */

#define EACH UINT64_C(0x0101010101010101)
#define TOPS UINT64_C(0x0080808080808080)

/* Fibonacci hashing spreads the consecutive ids that everyone uses; folding first, those that differ high up only. */
static inline uint64_t id_hash(uint64_t id)
{
    return (id ^ id >> 32) * 0x9E3779B97F4A7C15ULL;
}
static inline uint32_t id_home(const mbo_t *mbo, uint64_t hash)
{
    return (uint32_t)((hash >> 32) * mbo->buckets >> 32);
}
static inline uint64_t id_tag(uint64_t hash)
{
    return (hash >> 25 & 0x7F) | 0x80;
}
static inline uint64_t places_free(const bucket_t *bucket)
{
    return ~bucket->tags & TOPS;
}
static inline uint32_t bucket_next(const mbo_t *mbo, uint32_t b)
{
    return b + 1 == mbo->buckets ? 0 : b + 1;
}

/* Where an id is, or would go: row NIL then. */
typedef struct spot {
    bucket_t *bucket;
    uint32_t  place;
    uint32_t  row;
    uint32_t  at;
} spot_t;

static inline spot_t spot_find(const mbo_t *mbo, uint64_t id, uint64_t hash)
{
    const row_t   *rows = mbo_rows(mbo);
    const uint64_t tags = id_tag(hash) * EACH;
    for (uint32_t b = id_home(mbo, hash);; b = bucket_next(mbo, b)) {
        bucket_t      *bucket = &mbo_buckets(mbo)[b];
        const uint64_t differ = bucket->tags ^ tags;
        /* the top bit of each byte that is 0; above such a one a wrong bit may stand */
        for (uint64_t same = (differ - EACH) & ~differ & TOPS; same != 0; same &= same - 1) {
            const uint32_t place = (uint32_t)__builtin_ctzll(same) >> 3;
            const uint32_t row   = bucket->row[place];
            if (__builtin_expect(rows[row].id == id, 1)) {
                return (spot_t){.bucket = bucket, .place = place, .row = row, .at = bucket->at[place]};
            }
        }
        const uint64_t none = places_free(bucket);
        if (__builtin_expect(none != 0, 1)) {
            return (spot_t){.bucket = bucket, .place = (uint32_t)__builtin_ctzll(none) >> 3, .row = NIL};
        }
    }
}

static inline void spot_put(const spot_t *spot, uint64_t hash, uint32_t row, uint32_t at)
{
    spot->bucket->tags |= id_tag(hash) << 8 * spot->place;
    spot->bucket->row[spot->place] = row;
    spot->bucket->at[spot->place]  = at;
}

/* A place came free in a bucket that was full: ids behind it that it had sent on come back, each leaving a place. */
static __attribute__((noinline, cold)) void spots_close(mbo_t *mbo, bucket_t *hole, uint32_t place)
{
    const uint32_t n    = mbo->buckets;
    uint32_t       b    = (uint32_t)(hole - mbo_buckets(mbo));
    bool           full = true;
    for (uint32_t i = bucket_next(mbo, b); full && i != b; i = bucket_next(mbo, i)) {
        bucket_t *from = &mbo_buckets(mbo)[i];
        full           = places_free(from) == 0;
        for (uint64_t taken = from->tags & TOPS; taken != 0; taken &= taken - 1) {
            const uint32_t p    = (uint32_t)__builtin_ctzll(taken) >> 3;
            const uint32_t home = id_home(mbo, id_hash(mbo_rows(mbo)[from->row[p]].id));
            if ((i + n - home) % n >= (i + n - b) % n) {
                const uint64_t tag = from->tags >> 8 * p & 0xFF;
                hole->tags |= tag << 8 * place;
                hole->row[place] = from->row[p];
                hole->at[place]  = from->at[p];
                from->tags &= ~(UINT64_C(0xFF) << 8 * p);
                hole  = from;
                place = p;
                b     = i;
                break;
            }
        }
    }
}

/* Free it, when out. */
static inline void spot_drop(mbo_t *mbo, const spot_t *spot, bool out)
{
    const bool full = places_free(spot->bucket) == 0;
    spot->bucket->tags &= ~((uint64_t)(out ? 0xFF : 0) << 8 * spot->place);
    if (unlikely(full & out)) {
        spots_close(mbo, spot->bucket, spot->place);
    }
}

void mbo_prefetch(const mbo_t *mbo)
{
    __builtin_prefetch(mbo, 1);
    __builtin_prefetch(&mbo->magic, 1);
}

void mbo_prefetch_slot(const mbo_t *mbo, uint64_t id)
{
    __builtin_prefetch(&mbo_buckets(mbo)[id_home(mbo, id_hash(id))], 1);
    __builtin_prefetch(mbo_ladder(mbo, 0));
    __builtin_prefetch(mbo_ladder(mbo, 1));
}

void mbo_prefetch_order(const mbo_t *mbo, uint64_t id)
{
    const spot_t spot = spot_find(mbo, id, id_hash(id));
    if (spot.row != NIL) {
        __builtin_prefetch(level_at(mbo, spot.at), 1);
    }
}

/* ---- levels and their queues ------------------------------------------------------------------------------------------ */

static bool px_fits(int64_t px)
{
    return px > -MBO_PX_LIMIT && px < MBO_PX_LIMIT;
}

static uint32_t level_find(const mbo_t *mbo, uint32_t ask, int64_t px)
{
    return px_fits(px) ? ladder_find(mbo_ladder(mbo, ask), px) : NIL;
}

static uint32_t level_count(const mbo_t *mbo)
{
    return ladder_count(mbo_ladder(mbo, 0)) + ladder_count(mbo_ladder(mbo, 1));
}

/* The level at px, made when there is none (its count is 0 then); NIL when there would be too many. */
static inline uint32_t level_take(mbo_t *mbo, uint32_t ask, int64_t px)
{
    ladder_t      *ladder = mbo_ladder(mbo, ask);
    const uint32_t level  = ladder_take(ladder, px);
    if (level != NIL && unlikely(mbo_level_of(mbo, ask, level)->count == 0) && level_count(mbo) > mbo->levels_max) {
        ladder_drop(ladder, level);
        return NIL;
    }
    return level;
}

/* At the tail of its level; row->qty and row->ask are set. */
static inline void queue_put(mbo_t *mbo, ladder_level_t *level, uint32_t r)
{
    row_t *rows = mbo_rows(mbo);
    rows[r].at  = (uint32_t)(level - level_at(mbo, 0));
    level->qty += rows[r].qty;
    level->count++;
    if (mbo->queues) {
        rows[r].next                                                   = NIL;
        rows[r].prev                                                   = level->tail;
        *(level->tail == NIL ? &level->head : &rows[level->tail].next) = r;
        level->tail                                                    = r;
    }
}

/* One of two places, without a branch: that an order is the first or the last of its level is known to nobody before. */
static inline uint32_t *either(bool first, uint32_t *a, uint32_t *b)
{
    const uintptr_t mask = -(uintptr_t)first;
    return (uint32_t *)(((uintptr_t)a & mask) | ((uintptr_t)b & ~mask));
}

/* qty less of an order of its level, which stays, maybe empty; out: none is left, it leaves the queue. No branch: half of all
 * executions leave a rest, and nobody can tell which. */
static inline void queue_take(mbo_t *mbo, ladder_level_t *level, row_t *row, int64_t qty, bool out)
{
    row->qty -= qty;
    level->qty -= qty;
    level->count -= out;
    if (mbo->queues) {
        row_t         *rows = mbo_rows(mbo);
        const uint32_t r    = (uint32_t)(row - rows);
        const uint32_t next = row->next, prev = row->prev;
        *either(prev == NIL, &level->head, &rows[prev].next) = out ? next : r;
        *either(next == NIL, &level->tail, &rows[next].prev) = out ? prev : r;
    }
}

/* ---- what the feed says --------------------------------------------------------------------------------------------- */

/* What is wrong with an order to add is said apart from the way of those that are right. */
static __attribute__((noinline, cold)) err_t add_wrong(mbo_t *mbo, uint64_t id, side_t side, int64_t px, int64_t qty)
{
    if (id == 0 || (side != SIDE_BUY && side != SIDE_SELL)) {
        return mbo_broken(mbo, FEED_REASON_GARBLED,
                          err_set(ERR_ARG, "mbo: add order %llu side %d: an id is not 0, a side 1 or 2",
                                  (unsigned long long)id, (int)side));
    }
    return mbo_broken(mbo, FEED_REASON_GARBLED,
                      err_set(ERR_RANGE,
                              "mbo: add order %llu: px %lld, limit below 2^62; qty %lld, limit above 0 and what its "
                              "level can hold",
                              (unsigned long long)id, (long long)px, (long long)qty));
}

static __attribute__((noinline, cold)) err_t add_full(mbo_t *mbo, uint64_t id)
{
    return mbo_broken(mbo, FEED_REASON_LIMIT,
                      err_set(ERR_LIMIT, "mbo: add order %llu: %u orders, limit %u; %u levels, limit %u",
                              (unsigned long long)id, mbo_order_count(mbo, SIDE_BUY) + mbo_order_count(mbo, SIDE_SELL),
                              mbo->orders_max, level_count(mbo), mbo->levels_max));
}

static __attribute__((noinline, cold)) err_t add_again(mbo_t *mbo, uint64_t id)
{
    return mbo_broken(mbo, FEED_REASON_GARBLED,
                      err_set(ERR_EXISTS, "mbo: add order %llu: it stands already", (unsigned long long)id));
}

err_t mbo_add(mbo_t *mbo, uint64_t id, side_t side, int64_t px, int64_t qty)
{
    if (unlikely(mbo->health == FEED_BROKEN)) {
        return ERR_AGAIN;
    }
    const uint32_t ask = (uint32_t)side - SIDE_BUY;
    if (unlikely((id == 0) | (ask > 1) | !px_fits(px) | (qty <= 0))) {
        return add_wrong(mbo, id, side, px, qty);
    }
    const uint64_t hash = id_hash(id);
    const spot_t   spot = spot_find(mbo, id, hash);
    if (unlikely(spot.row != NIL)) {
        return add_again(mbo, id);
    }
    const bool     used = mbo->free_row != NIL;
    const uint32_t r    = used ? mbo->free_row : mbo->rows_seen;
    if (unlikely(!used && r == mbo->orders_max)) {
        return add_full(mbo, id);
    }
    const uint32_t level_row = level_take(mbo, ask, px);
    if (unlikely(level_row == NIL)) {
        return add_full(mbo, id);
    }
    ladder_level_t *level = mbo_level_of(mbo, ask, level_row);
    if (unlikely(level->qty > INT64_MAX - qty)) {
        return add_wrong(mbo, id, side, px, qty);
    }
    row_t *row = &mbo_rows(mbo)[r];
    if (used) {
        mbo->free_row = row->next;
    } else {
        mbo->rows_seen++;
    }
    row->id  = id;
    row->qty = qty;
    row->ask = ask;
    mbo->best[ask].orders++;
    queue_put(mbo, level, r);
    spot_put(&spot, hash, r, row->at);
    if (unlikely(level->count == 1)) {
        best_set(mbo, ask);
    }
    best_qty_set(mbo, row->at, level->qty);
    return ERR_OK;
}

static __attribute__((noinline, cold)) err_t order_lost(mbo_t *mbo, uint64_t id, const char *verb)
{
    return mbo_broken(mbo, FEED_REASON_LOST,
                      err_set(ERR_NOT_FOUND, "mbo: %s order %llu: no such order stands", verb, (unsigned long long)id));
}

static __attribute__((noinline, cold)) err_t reduce_wrong(mbo_t *mbo, uint64_t id, int64_t qty, int64_t left)
{
    return mbo_broken(mbo, FEED_REASON_GARBLED,
                      err_set(ERR_RANGE, "mbo: reduce order %llu: qty %lld, limit 1..%lld", (unsigned long long)id,
                              (long long)qty, (long long)left));
}

err_t mbo_less(mbo_t *mbo, uint64_t id, int64_t qty, bool all)
{
    if (unlikely(mbo->health == FEED_BROKEN)) {
        return ERR_AGAIN;
    }
    const spot_t spot = spot_find(mbo, id, id_hash(id));
    if (unlikely(spot.row == NIL)) {
        return order_lost(mbo, id, all ? "remove" : "reduce");
    }
    row_t        *row  = &mbo_rows(mbo)[spot.row];
    const int64_t left = row->qty;
    qty                = all ? left : qty;
    if (unlikely((qty <= 0) | (qty > left))) {
        return reduce_wrong(mbo, id, qty, left);
    }
    const bool      out   = qty == left;
    const uint32_t  ask   = row->ask;
    ladder_level_t *level = level_at(mbo, spot.at);
    queue_take(mbo, level, row, qty, out);
    spot_drop(mbo, &spot, out);
    mbo->best[0].orders -= out & (ask == 0); /* both, as in best_qty_set */
    mbo->best[1].orders -= out & (ask != 0);
    row->next     = out ? mbo->free_row : row->next;
    mbo->free_row = out ? spot.row : mbo->free_row;
    if (unlikely(level->count == 0)) {
        ladder_drop(mbo_ladder(mbo, ask), row_level_row(mbo, row));
        best_set(mbo, ask);
    } else {
        best_qty_set(mbo, spot.at, level->qty);
    }
    return ERR_OK;
}

err_t mbo_modify(mbo_t *mbo, uint64_t id, int64_t px, int64_t qty)
{
    if (unlikely(mbo->health == FEED_BROKEN)) {
        return ERR_AGAIN;
    }
    const spot_t spot = spot_find(mbo, id, id_hash(id));
    if (unlikely(spot.row == NIL)) {
        return order_lost(mbo, id, "modify");
    }
    const uint32_t  r      = spot.row;
    row_t          *row    = &mbo_rows(mbo)[r];
    ladder_t       *ladder = mbo_ladder(mbo, row->ask);
    ladder_level_t *level  = row_level(mbo, row);
    const uint32_t  from   = row_level_row(mbo, row);
    const uint32_t  to     = level_find(mbo, row->ask, px);
    const int64_t   rest   = to == NIL ? 0 : ladder_level(ladder, to)->qty - (to == from ? row->qty : 0);
    if (unlikely(!px_fits(px) || qty <= 0 || rest > INT64_MAX - qty)) {
        return mbo_broken(
            mbo, FEED_REASON_GARBLED,
            err_set(ERR_RANGE, "mbo: modify order %llu: px %lld, limit below 2^62; qty %lld, limit 1..%lld",
                    (unsigned long long)id, (long long)px, (long long)qty, (long long)(INT64_MAX - rest)));
    }
    if (to == from && qty <= row->qty) {
        level->qty -= row->qty - qty;
        row->qty = qty;
        best_set(mbo, row->ask);
        return ERR_OK;
    }
    if (to == NIL && level->count > 1 && level_count(mbo) == mbo->levels_max) {
        return mbo_broken(mbo, FEED_REASON_LIMIT,
                          err_set(ERR_LIMIT, "mbo: modify order %llu: %u levels, limit %u", (unsigned long long)id,
                                  mbo->levels_max, mbo->levels_max));
    }
    queue_take(mbo, level, row, row->qty, true);
    if (level->count == 0 && to != from) {
        ladder_drop(ladder, from); /* first: it may be the room for the new one */
    }
    row->qty                 = qty;
    const uint32_t level_row = to != NIL ? to : level_take(mbo, row->ask, px);
    queue_put(mbo, ladder_level(ladder, level_row), r);
    spot.bucket->at[spot.place] = row->at;
    best_set(mbo, row->ask);
    return ERR_OK;
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

feed_health_t mbo_health(const mbo_t *mbo)
{
    return (feed_health_t)mbo->health;
}

feed_reason_t mbo_reason(const mbo_t *mbo)
{
    return (feed_reason_t)mbo->reason;
}

static mbo_order_t order_of(const mbo_t *mbo, const row_t *row)
{
    return (mbo_order_t){
        .id = row->id, .px = row_level(mbo, row)->px, .qty = row->qty, .side = row->ask ? SIDE_SELL : SIDE_BUY};
}

/* False and all 0 for NIL. */
static bool level_out(const mbo_t *mbo, uint32_t ask, uint32_t level_row, mbo_level_t *out)
{
    if (level_row == NIL) {
        *out = (mbo_level_t){0};
        return false;
    }
    const ladder_level_t *level = ladder_level(mbo_ladder(mbo, ask), level_row);
    *out                        = (mbo_level_t){.px = level->px, .qty = level->qty, .count = level->count};
    return true;
}

bool mbo_find(const mbo_t *mbo, uint64_t id, mbo_order_t *out)
{
    const spot_t spot = spot_find(mbo, id, id_hash(id));
    if (spot.row == NIL) {
        return false;
    }
    *out = order_of(mbo, &mbo_rows(mbo)[spot.row]);
    return true;
}

int64_t mbo_ahead(const mbo_t *mbo, uint64_t id)
{
    const row_t *rows = mbo_rows(mbo);
    const spot_t spot = spot_find(mbo, id, id_hash(id));
    if (spot.row == NIL || !mbo->queues) {
        return -1;
    }
    const row_t *row    = &rows[spot.row];
    uint32_t     front  = row->prev;
    uint32_t     back   = row->next;
    int64_t      ahead  = 0;
    int64_t      behind = 0;
    while (front != NIL && back != NIL) { /* both ways: one of them ends first */
        ahead += rows[front].qty;
        behind += rows[back].qty;
        front = rows[front].prev;
        back  = rows[back].next;
    }
    return front == NIL ? ahead : row_level(mbo, row)->qty - row->qty - behind;
}

bool mbo_level(const mbo_t *mbo, side_t side, uint32_t n, mbo_level_t *out)
{
    const uint32_t  ask    = side == SIDE_SELL;
    const ladder_t *ladder = mbo_ladder(mbo, ask);
    uint32_t        row    = n < ladder_count(ladder) ? ladder_best(ladder) : NIL;
    for (; n > 0 && row != NIL; n--) {
        row = ladder_worse(ladder, ladder_level(ladder, row)->px);
    }
    return level_out(mbo, ask, row, out);
}

bool mbo_worse(const mbo_t *mbo, side_t side, mbo_level_t *level)
{
    const uint32_t ask = side == SIDE_SELL;
    return level_out(mbo, ask, ladder_worse(mbo_ladder(mbo, ask), level->px), level);
}

bool mbo_level_at(const mbo_t *mbo, side_t side, int64_t px, mbo_level_t *out)
{
    const uint32_t ask = side == SIDE_SELL;
    return level_out(mbo, ask, level_find(mbo, ask, px), out);
}

uint32_t mbo_queue(const mbo_t *mbo, side_t side, int64_t px, mbo_order_t *out, uint32_t max)
{
    const uint32_t ask   = side == SIDE_SELL;
    const row_t   *rows  = mbo_rows(mbo);
    const uint32_t level = level_find(mbo, ask, px);
    uint32_t       count = 0;
    for (uint32_t i = level == NIL ? NIL : ladder_level(mbo_ladder(mbo, ask), level)->head; i != NIL && count < max;
         i          = rows[i].next) {
        out[count++] = order_of(mbo, &rows[i]);
    }
    return count;
}

uint32_t mbo_level_count(const mbo_t *mbo, side_t side)
{
    return ladder_count(mbo_ladder(mbo, side == SIDE_SELL));
}

uint32_t mbo_order_count(const mbo_t *mbo, side_t side)
{
    return mbo->best[side == SIDE_SELL].orders;
}

bool mbo_crossed(const mbo_t *mbo)
{
    return mbo->best[0].qty > 0 && mbo->best[1].qty > 0 && mbo->best[0].px >= mbo->best[1].px;
}

uint64_t mbo_hash(uint64_t hash, const mbo_t *mbo)
{
    const row_t *rows = mbo_rows(mbo);
    hash              = hash_u64(hash, (uint64_t)mbo->health << 8 | mbo->reason);
    for (uint32_t ask = 0; ask < 2; ask++) {
        const ladder_t *ladder = mbo_ladder(mbo, ask);
        hash                   = hash_u64(hash, ladder_count(ladder));
        uint32_t row           = ladder_best(ladder);
        while (row != NIL) {
            const ladder_level_t *level = ladder_level(ladder, row);
            hash                        = hash_i64(hash_u64(hash, level->count), level->px);
            for (uint32_t i = level->head; i != NIL; i = rows[i].next) {
                hash = hash_i64(hash_u64(hash, rows[i].id), rows[i].qty);
            }
            row = ladder_worse(ladder, level->px);
        }
    }
    if (mbo->queues) {
        return hash;
    }
    uint64_t orders = 0; /* a sum: they are in no order */
    for (uint32_t b = 0; b < mbo->buckets; b++) {
        const bucket_t *bucket = &mbo_buckets(mbo)[b];
        for (uint64_t taken = bucket->tags & TOPS; taken != 0; taken &= taken - 1) {
            const row_t *row = &rows[bucket->row[__builtin_ctzll(taken) >> 3]];
            orders += hash_i64(hash_i64(hash_u64(row->ask, row->id), row_level(mbo, row)->px), row->qty);
        }
    }
    return hash_u64(hash, orders);
}
