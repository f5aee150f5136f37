#include "core/book/mbo.h"

#include <assert.h>
#include <string.h>

#include "core/book/ladder.h"
#include "core/types/hash.h"

#define MBO_MAGIC 0x3230304f424d4c48ULL
#define NIL UINT32_MAX

static_assert(MBO_PX_LIMIT == LADDER_PX_LIMIT && MBO_LEVELS_MAX <= LADDER_LEVELS_MAX && NIL == LADDER_NONE, "ladder");

#define unlikely(x) __builtin_expect(!!(x), 0)

typedef struct row { /* an order; a free row has only next */
    uint64_t id;
    int64_t  qty;
    uint32_t level; /* its row in the ladder of its side */
    uint32_t ask;
    uint32_t next;
    uint32_t prev;
} row_t;

typedef struct slot {
    uint32_t hash;
    uint32_t row1; /* row + 1; 0 = empty */
} slot_t;

typedef struct best { /* level of a side */
    int64_t  px;      /* 0, and qty 0 = none */
    int64_t  qty;
    uint32_t row;       /* NIL = none */
    uint32_t levels_at; /* where all levels of the side begin: bytes from mbo */
} best_t;

/* Then: ladder of the bids, of the asks, rows, slots. The first line is all that an execution or a cancel that leaves its
 * level needs of the head; its best levels are copies, so that reading them costs no line of the ladders. */
struct mbo {
    _Alignas(64) best_t best[2];
    uint32_t slots_at, rows_at; /* bytes from here */
    uint32_t free_row;          /* recycled last in, first out; NIL = none */
    uint8_t  slot_log2;
    uint8_t  health, reason, queues;

    uint64_t magic;
    uint32_t ladder_at[2];
    uint32_t orders[2]; /* of bids, asks */
    uint32_t rows_seen; /* those at and above were never used */
    uint32_t orders_max, levels_max;
};

static_assert(sizeof(struct mbo) == 128, "two lines");

static inline row_t *mbo_rows(const mbo_t *mbo)
{
    return (row_t *)((uintptr_t)mbo + mbo->rows_at);
}
static inline slot_t *mbo_slots(const mbo_t *mbo)
{
    return (slot_t *)((uintptr_t)mbo + mbo->slots_at);
}
static inline uint32_t slot_mask(const mbo_t *mbo)
{
    return ((uint32_t)1 << mbo->slot_log2) - 1;
}
static inline ladder_t *mbo_ladder(const mbo_t *mbo, uint32_t ask)
{
    return (ladder_t *)((uintptr_t)mbo + mbo->ladder_at[ask]);
}
static inline ladder_level_t *mbo_level_of(const mbo_t *mbo, uint32_t ask, uint32_t level)
{
    return (ladder_level_t *)((uintptr_t)mbo + mbo->best[ask].levels_at) + level;
}
static inline ladder_level_t *row_level(const mbo_t *mbo, const row_t *row)
{
    return mbo_level_of(mbo, row->ask, row->level);
}

/* After a level came or went, or may have. */
static void best_set(mbo_t *mbo, uint32_t ask)
{
    const uint32_t row = ladder_best(mbo_ladder(mbo, ask));
    mbo->best[ask].row = row;
    mbo->best[ask].px  = 0;
    mbo->best[ask].qty = 0;
    if (row != NIL) {
        const ladder_level_t *level = mbo_level_of(mbo, ask, row);
        mbo->best[ask].px           = level->px;
        mbo->best[ask].qty          = level->qty;
    }
}

/* A level that stays has another quantity: no branch, for nobody can tell whether it is the best one. */
static inline void best_qty_set(mbo_t *mbo, uint32_t ask, uint32_t level_row, int64_t qty)
{
    const int64_t same = -(int64_t)(level_row == mbo->best[ask].row);
    mbo->best[ask].qty ^= (mbo->best[ask].qty ^ qty) & same;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

size_t mbo_align(void)
{
    return _Alignof(mbo_t);
}

/* Half of the slots stay empty. */
static unsigned slots_log2(const mbo_cfg_t *cfg)
{
    unsigned log2 = 3;
    while ((uint32_t)1 << log2 < 2 * cfg->orders_max) {
        log2++;
    }
    return log2;
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
    bytes += cfg->orders_max * sizeof(row_t) + ((size_t)1 << slots_log2(cfg)) * sizeof(slot_t);
    return (bytes + _Alignof(mbo_t) - 1) & ~(_Alignof(mbo_t) - 1);
}

mbo_t *mbo_new(void *mem, const mbo_cfg_t *cfg)
{
    const size_t bytes = mbo_footprint(cfg);
    if (bytes == 0) {
        return NULL;
    }
    const unsigned log2 = slots_log2(cfg);
    mbo_t         *mbo  = memset(mem, 0, bytes);
    *mbo                = (mbo_t){.magic      = MBO_MAGIC,
                                  .slot_log2  = (uint8_t)log2,
                                  .best       = {{.row = NIL}, {.row = NIL}},
                                  .free_row   = NIL,
                                  .orders_max = cfg->orders_max,
                                  .levels_max = cfg->levels_max,
                                  .health     = FEED_BROKEN,
                                  .reason     = FEED_REASON_START,
                                  .queues     = !cfg->no_queues};
    uint32_t at         = sizeof(mbo_t);
    for (uint32_t ask = 0; ask < 2; ask++) {
        const ladder_cfg_t ladder = ladder_cfg(cfg, ask);
        mbo->best[ask].levels_at  = at + ladder_new((uint8_t *)mem + at, &ladder)->levels_at;
        mbo->ladder_at[ask]       = at;
        at += (uint32_t)ladder_footprint(&ladder);
    }
    mbo->rows_at  = at;
    mbo->slots_at = at + cfg->orders_max * (uint32_t)sizeof(row_t);
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
    memset(mbo_slots(mbo), 0, ((size_t)slot_mask(mbo) + 1) * sizeof(slot_t));
    ladder_clear(mbo_ladder(mbo, 0));
    ladder_clear(mbo_ladder(mbo, 1));
    best_set(mbo, 0);
    best_set(mbo, 1);
    mbo->free_row  = NIL;
    mbo->rows_seen = 0;
    mbo->orders[0] = mbo->orders[1] = 0;
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

/* ---- ids: open addressing with linear probing ---------------------------------------------------------------------- */

/* Fibonacci hashing spreads the consecutive ids that everyone uses; folding first, those that differ high up only. */
static inline uint32_t id_hash(uint64_t id)
{
    return (uint32_t)((id ^ id >> 32) * 0x9E3779B97F4A7C15ULL >> 32);
}

/* The slot of id, or the empty one where it belongs. Ends because half of the slots are empty. */
static inline slot_t *slot_find(const mbo_t *mbo, uint64_t id)
{
    slot_t        *slots = mbo_slots(mbo);
    const uint32_t hash  = id_hash(id);
    const uint32_t mask  = slot_mask(mbo);
    uint32_t       i     = hash >> (32 - mbo->slot_log2);
    while (slots[i].row1 != 0 && (slots[i].hash != hash || mbo_rows(mbo)[slots[i].row1 - 1].id != id)) {
        i = (i + 1) & mask;
    }
    return &slots[i];
}

/* Empty it. Slots behind the hole move up when the hole lies on their way from home. */
static inline void slot_drop(mbo_t *mbo, const slot_t *slot)
{
    slot_t        *slots = mbo_slots(mbo);
    const uint32_t mask  = slot_mask(mbo);
    uint32_t       hole  = (uint32_t)(slot - slots);
    for (uint32_t i = (hole + 1) & mask; slots[i].row1 != 0; i = (i + 1) & mask) {
        if (((i - (slots[i].hash >> (32 - mbo->slot_log2))) & mask) >= ((i - hole) & mask)) {
            slots[hole] = slots[i];
            hole        = i;
        }
    }
    slots[hole] = (slot_t){0};
}

void mbo_prefetch(const mbo_t *mbo)
{
    __builtin_prefetch(mbo, 1);
    __builtin_prefetch(&mbo->magic, 1);
}

void mbo_prefetch_slot(const mbo_t *mbo, uint64_t id)
{
    __builtin_prefetch(&mbo_slots(mbo)[id_hash(id) >> (32 - mbo->slot_log2)], 1);
    __builtin_prefetch(mbo_ladder(mbo, 0));
    __builtin_prefetch(mbo_ladder(mbo, 1));
}

void mbo_prefetch_order(const mbo_t *mbo, uint64_t id)
{
    const uint32_t row1 = slot_find(mbo, id)->row1;
    if (row1 != 0) {
        __builtin_prefetch(row_level(mbo, &mbo_rows(mbo)[row1 - 1]), 1);
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
static inline void queue_put(mbo_t *mbo, ladder_level_t *level, uint32_t level_row, uint32_t r)
{
    row_t *rows   = mbo_rows(mbo);
    rows[r].level = level_row;
    level->qty += rows[r].qty;
    level->count++;
    if (mbo->queues) {
        rows[r].next                                                   = NIL;
        rows[r].prev                                                   = level->tail;
        *(level->tail == NIL ? &level->head : &rows[level->tail].next) = r;
        level->tail                                                    = r;
    }
}

/* Out of its level, which stays, maybe empty. */
static inline void queue_take(mbo_t *mbo, ladder_level_t *level, const row_t *row)
{
    level->qty -= row->qty;
    level->count--;
    if (mbo->queues) {
        row_t *rows                                                = mbo_rows(mbo);
        *(row->prev == NIL ? &level->head : &rows[row->prev].next) = row->next;
        *(row->next == NIL ? &level->tail : &rows[row->next].prev) = row->prev;
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
                              (unsigned long long)id, mbo->orders[0] + mbo->orders[1], mbo->orders_max,
                              level_count(mbo), mbo->levels_max));
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
    slot_t *slot = slot_find(mbo, id);
    if (unlikely(slot->row1 != 0)) {
        return add_again(mbo, id);
    }
    const uint32_t r = mbo->free_row != NIL ? mbo->free_row : mbo->rows_seen;
    if (unlikely(r == mbo->orders_max)) {
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
    if (r == mbo->free_row) {
        mbo->free_row = row->next;
    } else {
        mbo->rows_seen++;
    }
    row->id  = id;
    row->qty = qty;
    row->ask = ask;
    *slot    = (slot_t){.hash = id_hash(id), .row1 = r + 1};
    queue_put(mbo, level, level_row, r);
    mbo->orders[ask]++;
    if (unlikely(level->count == 1)) {
        best_set(mbo, ask);
    }
    best_qty_set(mbo, ask, level_row, level->qty);
    return ERR_OK;
}

static __attribute__((noinline, cold)) err_t order_lost(mbo_t *mbo, uint64_t id, const char *verb)
{
    return mbo_broken(mbo, FEED_REASON_LOST,
                      err_set(ERR_NOT_FOUND, "mbo: %s order %llu: no such order stands", verb, (unsigned long long)id));
}

static inline void order_remove(mbo_t *mbo, const slot_t *slot)
{
    const uint32_t  r     = slot->row1 - 1;
    row_t          *row   = &mbo_rows(mbo)[r];
    ladder_level_t *level = row_level(mbo, row);
    slot_drop(mbo, slot);
    queue_take(mbo, level, row);
    mbo->orders[row->ask]--;
    if (level->count == 0) {
        ladder_drop(mbo_ladder(mbo, row->ask), row->level);
        best_set(mbo, row->ask);
    } else {
        best_qty_set(mbo, row->ask, row->level, level->qty);
    }
    row->next     = mbo->free_row;
    mbo->free_row = r;
}

err_t mbo_reduce(mbo_t *mbo, uint64_t id, int64_t qty)
{
    if (unlikely(mbo->health == FEED_BROKEN)) {
        return ERR_AGAIN;
    }
    const slot_t *slot = slot_find(mbo, id);
    if (unlikely(slot->row1 == 0)) {
        return order_lost(mbo, id, "reduce");
    }
    row_t *row = &mbo_rows(mbo)[slot->row1 - 1];
    if (unlikely(qty <= 0 || qty > row->qty)) {
        return mbo_broken(mbo, FEED_REASON_GARBLED,
                          err_set(ERR_RANGE, "mbo: reduce order %llu: qty %lld, limit 1..%lld", (unsigned long long)id,
                                  (long long)qty, (long long)row->qty));
    }
    if (qty == row->qty) {
        order_remove(mbo, slot);
    } else {
        ladder_level_t *level = row_level(mbo, row);
        row->qty -= qty;
        level->qty -= qty;
        best_qty_set(mbo, row->ask, row->level, level->qty);
    }
    return ERR_OK;
}

err_t mbo_remove(mbo_t *mbo, uint64_t id)
{
    if (unlikely(mbo->health == FEED_BROKEN)) {
        return ERR_AGAIN;
    }
    const slot_t *slot = slot_find(mbo, id);
    if (unlikely(slot->row1 == 0)) {
        return order_lost(mbo, id, "remove");
    }
    order_remove(mbo, slot);
    return ERR_OK;
}

err_t mbo_modify(mbo_t *mbo, uint64_t id, int64_t px, int64_t qty)
{
    if (unlikely(mbo->health == FEED_BROKEN)) {
        return ERR_AGAIN;
    }
    const slot_t *slot = slot_find(mbo, id);
    if (unlikely(slot->row1 == 0)) {
        return order_lost(mbo, id, "modify");
    }
    const uint32_t  r      = slot->row1 - 1;
    row_t          *row    = &mbo_rows(mbo)[r];
    ladder_t       *ladder = mbo_ladder(mbo, row->ask);
    ladder_level_t *level  = ladder_level(ladder, row->level);
    const uint32_t  to     = level_find(mbo, row->ask, px);
    const int64_t   rest   = to == NIL ? 0 : ladder_level(ladder, to)->qty - (to == row->level ? row->qty : 0);
    if (unlikely(!px_fits(px) || qty <= 0 || rest > INT64_MAX - qty)) {
        return mbo_broken(
            mbo, FEED_REASON_GARBLED,
            err_set(ERR_RANGE, "mbo: modify order %llu: px %lld, limit below 2^62; qty %lld, limit 1..%lld",
                    (unsigned long long)id, (long long)px, (long long)qty, (long long)(INT64_MAX - rest)));
    }
    if (to == row->level && qty <= row->qty) {
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
    queue_take(mbo, level, row);
    if (level->count == 0 && to != row->level) {
        ladder_drop(ladder, row->level); /* first: it may be the room for the new one */
    }
    row->qty                 = qty;
    const uint32_t level_row = to != NIL ? to : level_take(mbo, row->ask, px);
    queue_put(mbo, ladder_level(ladder, level_row), level_row, r);
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
    const slot_t *slot = slot_find(mbo, id);
    if (slot->row1 == 0) {
        return false;
    }
    *out = order_of(mbo, &mbo_rows(mbo)[slot->row1 - 1]);
    return true;
}

int64_t mbo_ahead(const mbo_t *mbo, uint64_t id)
{
    const row_t  *rows = mbo_rows(mbo);
    const slot_t *slot = slot_find(mbo, id);
    if (slot->row1 == 0 || !mbo->queues) {
        return -1;
    }
    const row_t *row    = &rows[slot->row1 - 1];
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

void mbo_best(const mbo_t *mbo, int64_t *bid_px, int64_t *bid_qty, int64_t *ask_px, int64_t *ask_qty)
{
    *bid_px  = mbo->best[0].px;
    *bid_qty = mbo->best[0].qty;
    *ask_px  = mbo->best[1].px;
    *ask_qty = mbo->best[1].qty;
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
    return mbo->orders[side == SIDE_SELL];
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
    for (uint32_t i = 0; i <= slot_mask(mbo); i++) {
        if (mbo_slots(mbo)[i].row1 != 0) {
            const row_t *row = &rows[mbo_slots(mbo)[i].row1 - 1];
            orders += hash_i64(hash_i64(hash_u64(row->ask, row->id), row_level(mbo, row)->px), row->qty);
        }
    }
    return hash_u64(hash, orders);
}
