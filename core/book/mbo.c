#include "core/book/mbo.h"

#include <assert.h>
#include <string.h>

#include "core/match/id_map.h"
#include "core/types/hash.h"

#define MBO_MAGIC 0x3130304f424d4c48ULL
#define NIL UINT32_MAX

static_assert(MBO_ORDERS_MAX <= ID_MAP_ROWS_MAX && MBO_LEVELS_MAX <= ID_MAP_ROWS_MAX, "rows of the maps");

typedef struct row { /* an order; a free row has only next */
    uint64_t id;
    int64_t  qty;
    uint32_t level;
    uint32_t next;
    uint32_t prev;
    uint32_t reserved;
} row_t;

typedef struct rung { /* a level; a free one has only head: the next free */
    int64_t  px;
    int64_t  qty;
    uint32_t head; /* oldest order */
    uint32_t tail;
    uint32_t count;
    uint32_t ask;
} rung_t;

typedef struct place {
    int64_t  rank; /* larger is better, on both sides */
    uint32_t level;
    uint32_t reserved;
} place_t;

struct mbo { /* then: rows, rungs, order slots, level slots, places of the bids, of the asks */
    _Alignas(64) uint64_t magic;
    uint32_t orders_max, levels_max;
    uint32_t order_slots, level_slots;
    uint32_t free_row, free_rung;   /* recycled last in, first out; NIL = none */
    uint32_t rows_seen, rungs_seen; /* those at and above were never used */
    uint32_t orders[2], levels[2];  /* of bids, asks */
    uint8_t  health, reason;
};

static row_t *mbo_rows(const mbo_t *mbo)
{
    return (row_t *)((uintptr_t)mbo + sizeof *mbo);
}
static rung_t *mbo_rungs(const mbo_t *mbo)
{
    return (rung_t *)(mbo_rows(mbo) + mbo->orders_max);
}
static id_slot_t *mbo_order_slots(const mbo_t *mbo)
{
    return (id_slot_t *)(mbo_rungs(mbo) + mbo->levels_max);
}
static id_slot_t *mbo_level_slots(const mbo_t *mbo)
{
    return mbo_order_slots(mbo) + mbo->order_slots;
}
static place_t *mbo_places(const mbo_t *mbo, unsigned ask)
{
    return (place_t *)(mbo_level_slots(mbo) + mbo->level_slots) + (size_t)ask * mbo->levels_max;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

size_t mbo_align(void)
{
    return _Alignof(mbo_t);
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
    const size_t bytes = sizeof(mbo_t) + cfg->orders_max * sizeof(row_t) +
                         cfg->levels_max * (sizeof(rung_t) + 2 * sizeof(place_t)) +
                         ((size_t)id_map_slots(cfg->orders_max) + id_map_slots(cfg->levels_max)) * sizeof(id_slot_t);
    return (bytes + _Alignof(mbo_t) - 1) & ~(_Alignof(mbo_t) - 1);
}

mbo_t *mbo_new(void *mem, const mbo_cfg_t *cfg)
{
    const size_t bytes = mbo_footprint(cfg);
    if (bytes == 0) {
        return NULL;
    }
    mbo_t *mbo = memset(mem, 0, bytes);
    *mbo       = (mbo_t){.magic       = MBO_MAGIC,
                         .orders_max  = cfg->orders_max,
                         .levels_max  = cfg->levels_max,
                         .order_slots = id_map_slots(cfg->orders_max),
                         .level_slots = id_map_slots(cfg->levels_max),
                         .free_row    = NIL,
                         .free_rung   = NIL,
                         .health      = FEED_BROKEN,
                         .reason      = FEED_REASON_START};
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
    memset(mbo_order_slots(mbo), 0, ((size_t)mbo->order_slots + mbo->level_slots) * sizeof(id_slot_t));
    mbo->free_row  = NIL;
    mbo->free_rung = NIL;
    mbo->rows_seen = mbo->rungs_seen = 0;
    mbo->orders[0] = mbo->orders[1] = 0;
    mbo->levels[0] = mbo->levels[1] = 0;
    mbo->health                     = FEED_RECOVERING;
    mbo->reason                     = FEED_REASON_START;
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

/* ---- levels: found by a hash of side and price, kept in order in places ------------------------------------------- */

static int64_t rank_of(unsigned ask, int64_t px)
{
    return ask ? -px : px;
}

/* Never 0: that would be a bid at -2^62, which is beyond the limit of prices. */
static uint64_t level_key(unsigned ask, int64_t px)
{
    return ((uint64_t)px << 1 | ask) ^ 1ULL << 63;
}

static bool px_fits(int64_t px)
{
    return px > -MBO_PX_LIMIT && px < MBO_PX_LIMIT;
}

static uint32_t level_find(const mbo_t *mbo, unsigned ask, int64_t px)
{
    return px_fits(px) ? id_map_find(mbo_level_slots(mbo), mbo->level_slots, level_key(ask, px)) : NIL;
}

/* The first place whose rank is not below, counted from the worst; looked for from the best in growing steps, because
 * that is where levels come and go. */
static uint32_t place_find(const place_t *places, uint32_t count, int64_t rank)
{
    uint32_t high = count;
    uint32_t step = 1;
    while (step <= high && places[high - step].rank >= rank) {
        high -= step;
        step *= 2;
    }
    uint32_t low = step <= high ? high - step + 1 : 0;
    while (low < high) {
        const uint32_t mid = low + (high - low) / 2;
        if (places[mid].rank >= rank) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return low;
}

static uint32_t level_new(mbo_t *mbo, unsigned ask, int64_t px)
{
    rung_t  *rungs = mbo_rungs(mbo);
    uint32_t level = mbo->free_rung;
    if (level == NIL) {
        level = mbo->rungs_seen++;
    } else {
        mbo->free_rung = rungs[level].head;
    }
    assert(level < mbo->levels_max);
    rungs[level] = (rung_t){.px = px, .head = NIL, .tail = NIL, .ask = ask};
    id_map_put(mbo_level_slots(mbo), mbo->level_slots, level_key(ask, px), level);

    place_t       *places = mbo_places(mbo, ask);
    const uint32_t at     = place_find(places, mbo->levels[ask], rank_of(ask, px));
    memmove(&places[at + 1], &places[at], (mbo->levels[ask] - at) * sizeof *places);
    places[at] = (place_t){.rank = rank_of(ask, px), .level = level};
    mbo->levels[ask]++;
    return level;
}

static void level_free(mbo_t *mbo, uint32_t level)
{
    rung_t        *rung   = &mbo_rungs(mbo)[level];
    const unsigned ask    = rung->ask;
    place_t       *places = mbo_places(mbo, ask);
    const uint32_t at     = place_find(places, mbo->levels[ask], rank_of(ask, rung->px));
    assert(at < mbo->levels[ask] && places[at].level == level);
    memmove(&places[at], &places[at + 1], (mbo->levels[ask] - at - 1) * sizeof *places);
    mbo->levels[ask]--;
    id_map_drop(mbo_level_slots(mbo), mbo->level_slots, level_key(ask, rung->px));
    rung->head     = mbo->free_rung;
    mbo->free_rung = level;
}

static bool levels_full(const mbo_t *mbo)
{
    return mbo->levels[0] + mbo->levels[1] == mbo->levels_max;
}

/* ---- queues ------------------------------------------------------------------------------------------------------- */

/* At the tail; row->qty is set. */
static void queue_put(mbo_t *mbo, uint32_t level, uint32_t r)
{
    row_t  *rows  = mbo_rows(mbo);
    rung_t *rung  = &mbo_rungs(mbo)[level];
    rows[r].level = level;
    rows[r].next  = NIL;
    rows[r].prev  = rung->tail;
    if (rung->tail == NIL) {
        rung->head = r;
    } else {
        rows[rung->tail].next = r;
    }
    rung->tail = r;
    rung->qty += rows[r].qty;
    rung->count++;
}

/* Out of its level, which stays, maybe empty. */
static void queue_take(mbo_t *mbo, uint32_t r)
{
    row_t       *rows                                         = mbo_rows(mbo);
    const row_t *row                                          = &rows[r];
    rung_t      *rung                                         = &mbo_rungs(mbo)[row->level];
    *(row->prev == NIL ? &rung->head : &rows[row->prev].next) = row->next;
    *(row->next == NIL ? &rung->tail : &rows[row->next].prev) = row->prev;
    rung->qty -= row->qty;
    rung->count--;
}

/* ---- what the feed says --------------------------------------------------------------------------------------------- */

err_t mbo_add(mbo_t *mbo, uint64_t id, side_t side, int64_t px, int64_t qty)
{
    if (mbo->health == FEED_BROKEN) {
        return ERR_AGAIN;
    }
    if (id == 0 || (side != SIDE_BUY && side != SIDE_SELL)) {
        return mbo_broken(mbo, FEED_REASON_GARBLED,
                          err_set(ERR_ARG, "mbo: add order %llu side %d: an id is not 0, a side 1 or 2",
                                  (unsigned long long)id, (int)side));
    }
    if (!px_fits(px) || qty <= 0) {
        return mbo_broken(mbo, FEED_REASON_GARBLED,
                          err_set(ERR_RANGE, "mbo: add order %llu: px %lld, limit below 2^62; qty %lld, limit above 0",
                                  (unsigned long long)id, (long long)px, (long long)qty));
    }
    if (id_map_find(mbo_order_slots(mbo), mbo->order_slots, id) != NIL) {
        return mbo_broken(mbo, FEED_REASON_GARBLED,
                          err_set(ERR_EXISTS, "mbo: add order %llu: it stands already", (unsigned long long)id));
    }
    const unsigned ask   = side == SIDE_SELL;
    uint32_t       level = level_find(mbo, ask, px);
    if (mbo->orders[0] + mbo->orders[1] == mbo->orders_max || (level == NIL && levels_full(mbo))) {
        return mbo_broken(mbo, FEED_REASON_LIMIT,
                          err_set(ERR_LIMIT, "mbo: add order %llu: %u orders, limit %u; %u levels, limit %u",
                                  (unsigned long long)id, mbo->orders[0] + mbo->orders[1], mbo->orders_max,
                                  mbo->levels[0] + mbo->levels[1], mbo->levels_max));
    }
    if (level != NIL && mbo_rungs(mbo)[level].qty > INT64_MAX - qty) {
        return mbo_broken(mbo, FEED_REASON_GARBLED,
                          err_set(ERR_RANGE, "mbo: add order %llu: qty %lld more than level %lld can hold",
                                  (unsigned long long)id, (long long)qty, (long long)px));
    }

    row_t   *rows = mbo_rows(mbo);
    uint32_t r    = mbo->free_row;
    if (r == NIL) {
        r = mbo->rows_seen++;
    } else {
        mbo->free_row = rows[r].next;
    }
    rows[r].id  = id;
    rows[r].qty = qty;
    queue_put(mbo, level != NIL ? level : level_new(mbo, ask, px), r);
    id_map_put(mbo_order_slots(mbo), mbo->order_slots, id, r);
    mbo->orders[ask]++;
    return ERR_OK;
}

/* The row of an order that must be there, or NIL and the book is BROKEN. */
static uint32_t row_of(mbo_t *mbo, uint64_t id, const char *verb)
{
    const uint32_t r = id_map_find(mbo_order_slots(mbo), mbo->order_slots, id);
    if (r == NIL) {
        mbo_broken(mbo, FEED_REASON_LOST,
                   err_set(ERR_NOT_FOUND, "mbo: %s order %llu: no such order stands", verb, (unsigned long long)id));
    }
    return r;
}

err_t mbo_reduce(mbo_t *mbo, uint64_t id, int64_t qty)
{
    if (mbo->health == FEED_BROKEN) {
        return ERR_AGAIN;
    }
    const uint32_t r = row_of(mbo, id, "reduce");
    if (r == NIL) {
        return ERR_NOT_FOUND;
    }
    row_t  *row  = &mbo_rows(mbo)[r];
    rung_t *rung = &mbo_rungs(mbo)[row->level];
    if (qty <= 0 || qty > row->qty) {
        return mbo_broken(mbo, FEED_REASON_GARBLED,
                          err_set(ERR_RANGE, "mbo: reduce order %llu: qty %lld, limit 1..%lld", (unsigned long long)id,
                                  (long long)qty, (long long)row->qty));
    }
    if (qty < row->qty) {
        row->qty -= qty;
        rung->qty -= qty;
        return ERR_OK;
    }
    queue_take(mbo, r);
    mbo->orders[rung->ask]--;
    if (rung->count == 0) {
        level_free(mbo, row->level);
    }
    id_map_drop(mbo_order_slots(mbo), mbo->order_slots, id);
    row->next     = mbo->free_row;
    mbo->free_row = r;
    return ERR_OK;
}

err_t mbo_modify(mbo_t *mbo, uint64_t id, int64_t px, int64_t qty)
{
    if (mbo->health == FEED_BROKEN) {
        return ERR_AGAIN;
    }
    const uint32_t r = row_of(mbo, id, "modify");
    if (r == NIL) {
        return ERR_NOT_FOUND;
    }
    row_t         *row  = &mbo_rows(mbo)[r];
    const uint32_t from = row->level;
    rung_t        *rung = &mbo_rungs(mbo)[from];
    uint32_t       to   = level_find(mbo, rung->ask, px);
    const int64_t  rest = to == NIL ? 0 : mbo_rungs(mbo)[to].qty - (to == from ? row->qty : 0);
    if (!px_fits(px) || qty <= 0 || rest > INT64_MAX - qty) {
        return mbo_broken(
            mbo, FEED_REASON_GARBLED,
            err_set(ERR_RANGE, "mbo: modify order %llu: px %lld, limit below 2^62; qty %lld, limit 1..%lld",
                    (unsigned long long)id, (long long)px, (long long)qty, (long long)(INT64_MAX - rest)));
    }
    if (to == from && qty <= row->qty) {
        rung->qty -= row->qty - qty;
        row->qty = qty;
        return ERR_OK;
    }
    if (to == NIL && rung->count > 1 && levels_full(mbo)) {
        return mbo_broken(mbo, FEED_REASON_LIMIT,
                          err_set(ERR_LIMIT, "mbo: modify order %llu: %u levels, limit %u", (unsigned long long)id,
                                  mbo->levels_max, mbo->levels_max));
    }
    const unsigned ask = rung->ask;
    queue_take(mbo, r);
    row->qty = qty;
    if (rung->count == 0 && to != from) {
        level_free(mbo, from);
    }
    queue_put(mbo, to != NIL ? to : level_new(mbo, ask, px), r);
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
    const rung_t *rung = &mbo_rungs(mbo)[row->level];
    return (mbo_order_t){.id = row->id, .px = rung->px, .qty = row->qty, .side = rung->ask ? SIDE_SELL : SIDE_BUY};
}

static mbo_level_t level_of(const mbo_t *mbo, uint32_t level)
{
    const rung_t *rung = &mbo_rungs(mbo)[level];
    return (mbo_level_t){.px = rung->px, .qty = rung->qty, .count = rung->count};
}

bool mbo_find(const mbo_t *mbo, uint64_t id, mbo_order_t *out)
{
    const uint32_t r = id_map_find(mbo_order_slots(mbo), mbo->order_slots, id);
    if (r == NIL) {
        return false;
    }
    *out = order_of(mbo, &mbo_rows(mbo)[r]);
    return true;
}

int64_t mbo_ahead(const mbo_t *mbo, uint64_t id)
{
    const row_t   *rows = mbo_rows(mbo);
    const uint32_t r    = id_map_find(mbo_order_slots(mbo), mbo->order_slots, id);
    if (r == NIL) {
        return -1;
    }
    int64_t ahead = 0;
    for (uint32_t i = rows[r].prev; i != NIL; i = rows[i].prev) {
        ahead += rows[i].qty;
    }
    return ahead;
}

bool mbo_level(const mbo_t *mbo, side_t side, uint32_t n, mbo_level_t *out)
{
    const unsigned ask = side == SIDE_SELL;
    if (n >= mbo->levels[ask]) {
        *out = (mbo_level_t){0};
        return false;
    }
    *out = level_of(mbo, mbo_places(mbo, ask)[mbo->levels[ask] - 1 - n].level);
    return true;
}

bool mbo_level_at(const mbo_t *mbo, side_t side, int64_t px, mbo_level_t *out)
{
    const uint32_t level = level_find(mbo, side == SIDE_SELL, px);
    *out                 = level == NIL ? (mbo_level_t){0} : level_of(mbo, level);
    return level != NIL;
}

uint32_t mbo_queue(const mbo_t *mbo, side_t side, int64_t px, mbo_order_t *out, uint32_t max)
{
    const row_t   *rows  = mbo_rows(mbo);
    const uint32_t level = level_find(mbo, side == SIDE_SELL, px);
    uint32_t       count = 0;
    for (uint32_t i = level == NIL ? NIL : mbo_rungs(mbo)[level].head; i != NIL && count < max; i = rows[i].next) {
        out[count++] = order_of(mbo, &rows[i]);
    }
    return count;
}

uint32_t mbo_level_count(const mbo_t *mbo, side_t side)
{
    return mbo->levels[side == SIDE_SELL];
}

uint32_t mbo_order_count(const mbo_t *mbo, side_t side)
{
    return mbo->orders[side == SIDE_SELL];
}

bool mbo_crossed(const mbo_t *mbo)
{
    mbo_level_t bid, ask;
    return mbo_level(mbo, SIDE_BUY, 0, &bid) && mbo_level(mbo, SIDE_SELL, 0, &ask) && bid.px >= ask.px;
}

uint64_t mbo_hash(uint64_t hash, const mbo_t *mbo)
{
    const row_t *rows = mbo_rows(mbo);
    hash              = hash_u64(hash, (uint64_t)mbo->health << 8 | mbo->reason);
    for (unsigned ask = 0; ask < 2; ask++) {
        hash = hash_u64(hash, mbo->levels[ask]);
        for (uint32_t n = mbo->levels[ask]; n-- > 0;) {
            const rung_t *rung = &mbo_rungs(mbo)[mbo_places(mbo, ask)[n].level];
            hash               = hash_i64(hash_u64(hash, rung->count), rung->px);
            for (uint32_t i = rung->head; i != NIL; i = rows[i].next) {
                hash = hash_i64(hash_u64(hash, rows[i].id), rows[i].qty);
            }
        }
    }
    return hash;
}
