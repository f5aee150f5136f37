/* mbo: the single orders (L3, market by order) of one instrument as a venue's feed names them, and whether they may be
 * trusted. It matches nothing (that is core/match/clob.h); it keeps what the feed says, in the order it says it.
 *
 *     id ──▶ buckets {7 tags, rows, levels}     a line; a tag is 7 bits of hash, the id itself is in the order
 *     row ──▶ orders {id, qty, level, side, next, prev}     32 bytes, recycled last in, first out
 *     side, px ──▶ levels {px, qty, count, head, tail}      two ladders (ladder.h); a queue of orders, oldest first
 *
 * Rules    add goes to the tail of its level. reduce (a cancel or an execution) leaves the rest in its place. modify:
 *          the same price and no more quantity keeps the place, anything else goes to the tail (CME, FIX order
 *          priority). Prices are any numbers: none is too far, and none that lies between two ticks is refused.
 *          A crossed book is no fault: before an auction orders gather crossed. mbo_crossed says it, the caller, who
 *          knows the session, decides.
 * States   of health, in the words of book.h:
 *
 *             mbo_new ──▶ BROKEN/START
 *             any         ── mbo_clear ──▶ RECOVERING (empty, takes orders) ── mbo_feed(LIVE) ──▶ LIVE
 *             LIVE        ── mbo_feed(STALE) ──▶ STALE ── mbo_feed(LIVE) ──▶ LIVE
 *             any         ── a fault, mbo_feed(BROKEN or RECOVERING) ──▶ BROKEN/reason
 *
 *          A BROKEN book takes nothing (ERR_AGAIN) until mbo_clear; its orders stay as they were at the fault, for a
 *          person to look at. Faults: an unknown id (LOST); an id twice, a quantity or price that cannot be, more taken
 *          than is left (GARBLED); orders or levels full (LIMIT).
 * Queues   with cfg.no_queues orders are not linked and only their level is kept (L2 from an L3 feed): some ns less a
 *          message, and mbo_ahead and mbo_queue have no answer. Everything else is the same.
 * Memory   one block, the caller's; indexes, no pointers: its bytes are a snapshot. 46 bytes an order, 80 a level, 8 a
 *          tick of window. Buckets are sized to what can be live and closed up when an order leaves a full one: a book that
 *          lives for days is as fast as a new one.
 * Cost     add, reduce, modify: one hash probe, one level. A level within cfg.window_ticks of the best is found by its
 *          tick (~2 ns); beyond, in a tree: O(log levels).
 * Threads  one.  Units  px, qty of the instrument.
 * Limits   orders_max 1..2^24 and levels_max 1..2^20, both sides together; |px| < 2^62; qty 1..2^63-1 and the sum of a
 *          level too; ids any but 0. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"
#include "core/types/msg.h"

#define MBO_ORDERS_MAX (1u << 24)
#define MBO_LEVELS_MAX (1u << 20)
#define MBO_PX_LIMIT (INT64_C(1) << 62) /* |px| is below it */

#define MBO_WINDOW_TICKS 4096u /* default of mbo_cfg_t */

typedef struct mbo_cfg {
    uint32_t orders_max;
    uint32_t levels_max;
    int64_t  tick;         /* of its prices; 0 = to be learned from them, see ladder.h */
    uint32_t window_ticks; /* a side; power of two, 256..65536; 0 = default. Small where there are many books */
    bool     no_queues;
} mbo_cfg_t;

typedef struct mbo_order {
    uint64_t id;
    int64_t  px;
    int64_t  qty; /* what is left */
    uint32_t side;
    uint32_t reserved;
} mbo_order_t;

typedef struct mbo_level {
    int64_t  px;
    int64_t  qty;   /* of all its orders */
    uint32_t count; /* of orders         */
    uint32_t reserved;
} mbo_level_t;

typedef struct mbo mbo_t;

typedef struct mbo_top { /* private: the best level of a side, bids first in each mbo */
    int64_t  px;         /* 0, and qty 0 = none */
    int64_t  qty;
    uint32_t at;     /* its number among all levels */
    uint32_t orders; /* of the side */
} mbo_top_t;

/* Life. footprint: 0 and a sentence when cfg is out of its limits; new: an empty book, BROKEN/START, NULL likewise; join:
 * the book in a block that was formatted before (a copied arena), NULL with a sentence when there is none. */
size_t mbo_align(void);
size_t mbo_footprint(const mbo_cfg_t *cfg);
mbo_t *mbo_new(void *mem, const mbo_cfg_t *cfg);
mbo_t *mbo_join(void *mem);

/* mbo_clear: no orders, RECOVERING: what follows is the venue's picture from nothing. O(orders_max). */
void mbo_clear(mbo_t *mbo);

/* mbo_feed: what the adapter says of the feed, see States. ERR_OK; ERR_ARG with a sentence for a health or reason that
 * does not exist: BROKEN/GARBLED then. */
err_t mbo_feed(mbo_t *mbo, feed_health_t health, feed_reason_t reason);

/* mbo_add: a new order at the tail of its level.
 * Returns ERR_OK; ERR_AGAIN (BROKEN, no sentence); ERR_EXISTS, ERR_ARG (id 0, side), ERR_RANGE (px, qty, the level's
 *         sum): GARBLED; ERR_LIMIT: LIMIT. Each fault with a sentence; orders and levels are as before. */
err_t mbo_add(mbo_t *mbo, uint64_t id, side_t side, int64_t px, int64_t qty);

/* mbo_less: qty less of an order, by a cancel or an execution, or all that is left of it (all; qty is not read then). None
 * left = it is gone. One call for both, because which of them comes next is what a reader of a feed cannot guess.
 * Returns ERR_OK; ERR_AGAIN; ERR_NOT_FOUND: LOST; ERR_RANGE (qty below 1 or more than is left): GARBLED. As above. */
err_t mbo_less(mbo_t *mbo, uint64_t id, int64_t qty, bool all);

/* mbo_reduce, mbo_remove: the one and the other. */
static inline err_t mbo_reduce(mbo_t *mbo, uint64_t id, int64_t qty)
{
    return mbo_less(mbo, id, qty, false);
}
static inline err_t mbo_remove(mbo_t *mbo, uint64_t id)
{
    return mbo_less(mbo, id, 0, true);
}

/* mbo_modify: new price and quantity left; the side stays.
 * Returns ERR_OK; ERR_AGAIN; ERR_NOT_FOUND: LOST; ERR_RANGE: GARBLED; ERR_LIMIT: LIMIT. As above. */
err_t mbo_modify(mbo_t *mbo, uint64_t id, int64_t px, int64_t qty);

/* mbo_prefetch, mbo_prefetch_slot, mbo_prefetch_order: hints for whoever has the next few messages already, and more
 * books than the cache holds: first the head of each book, then the slot of each order, then the order and its level,
 * then apply them. */
void mbo_prefetch(const mbo_t *mbo);
void mbo_prefetch_slot(const mbo_t *mbo, uint64_t id);
void mbo_prefetch_order(const mbo_t *mbo, uint64_t id);

feed_health_t mbo_health(const mbo_t *mbo);
feed_reason_t mbo_reason(const mbo_t *mbo); /* why it is not LIVE; NONE when it is */

/* mbo_find: one order; false and *out untouched when it is not there. O(1). */
bool mbo_find(const mbo_t *mbo, uint64_t id, mbo_order_t *out);

/* mbo_ahead: quantity that stands before an order on its level; -1 when the order is not there, or without queues.
 * O(orders before or behind it, whichever are fewer). */
int64_t mbo_ahead(const mbo_t *mbo, uint64_t id);

/* mbo_best: best bid and offer; a side that is empty has px 0, qty 0. O(1).
 * mbo_level: the n-th best level of a side, 0 the best; false and all 0 when there are not so many. O(n).
 * mbo_worse: level->px is replaced by the best level that is worse; false and all 0 when there is none. Walking a side:
 *     for (bool more = mbo_level(mbo, side, 0, &level); more; more = mbo_worse(mbo, side, &level)) { ... }
 * ~3 ns a level in the window. */
static inline void mbo_best(const mbo_t *mbo, int64_t *bid_px, int64_t *bid_qty, int64_t *ask_px, int64_t *ask_qty)
{
    const mbo_top_t *top = (const mbo_top_t *)(const void *)mbo;
    *bid_px              = top[0].px;
    *bid_qty             = top[0].qty;
    *ask_px              = top[1].px;
    *ask_qty             = top[1].qty;
}
bool mbo_level(const mbo_t *mbo, side_t side, uint32_t n, mbo_level_t *out);
bool mbo_worse(const mbo_t *mbo, side_t side, mbo_level_t *level);

/* mbo_level_at: the level at a price; false and all 0 when there is none. O(1). */
bool mbo_level_at(const mbo_t *mbo, side_t side, int64_t px, mbo_level_t *out);

/* mbo_queue: the orders of a level, oldest first, at most max; how many were written: 0 without queues. */
uint32_t mbo_queue(const mbo_t *mbo, side_t side, int64_t px, mbo_order_t *out, uint32_t max);

/* mbo_level_count, mbo_order_count: of a side. O(1). mbo_crossed: best bid at or above best ask. O(1). */
uint32_t mbo_level_count(const mbo_t *mbo, side_t side);
uint32_t mbo_order_count(const mbo_t *mbo, side_t side);
bool     mbo_crossed(const mbo_t *mbo);

/* mbo_hash: health, levels and queues in order (without queues: orders in no order, so the two kinds differ): equal
 * contents give equal hashes by whatever path. O(orders). */
uint64_t mbo_hash(uint64_t hash, const mbo_t *mbo);
