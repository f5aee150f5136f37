/* mbo: the single orders (L3, market by order) of one instrument as a venue's feed names them, and whether they may be
 * trusted. It matches nothing (that is core/match/clob.h); it keeps what the feed says, in the order it says it.
 *
 *     id ──▶ order slots ──▶ orders {id, qty, level, next, prev}        rows recycled last in, first out
 *     side, px ──▶ level slots ──▶ levels {px, qty, count, head, tail}  a queue of orders, oldest first
 *     side ──▶ places {rank, level}   sorted, best last: rank is px for bids, -px for asks
 *
 * Rules    add goes to the tail of its level. reduce (a cancel or an execution) leaves the rest in its place. modify:
 *          the same price and no more quantity keeps the place, anything else goes to the tail (CME, FIX order
 *          priority). Prices are any numbers, no tick table and no window: none is too far.
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
 * Memory   one block, the caller's; indexes, no pointers: its bytes are a snapshot. Slots are sized to what can be live
 *          and are deleted by shifting back (core/match/id_map.h), so a book that lives for days is as fast as a new one.
 * Cost     add, reduce, modify: one or two hash probes. A level that comes or goes moves the places better than it: 16
 *          bytes each, and most come and go near the best.
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

typedef struct mbo_cfg {
    uint32_t orders_max;
    uint32_t levels_max;
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

/* Life. footprint: 0 and a sentence when cfg is out of its limits; new: an empty book, BROKEN/START, NULL likewise; join:
 * the book in a block that was formatted before (a copied arena), NULL with a sentence when there is none. */
size_t mbo_align(void);
size_t mbo_footprint(const mbo_cfg_t *cfg);
mbo_t *mbo_new(void *mem, const mbo_cfg_t *cfg);
mbo_t *mbo_join(void *mem);

/* mbo_clear: no orders, RECOVERING: what follows is the venue's picture from nothing. O(slots). */
void mbo_clear(mbo_t *mbo);

/* mbo_feed: what the adapter says of the feed, see States. ERR_OK; ERR_ARG with a sentence for a health or reason that
 * does not exist: BROKEN/GARBLED then. */
err_t mbo_feed(mbo_t *mbo, feed_health_t health, feed_reason_t reason);

/* mbo_add: a new order at the tail of its level.
 * Returns ERR_OK; ERR_AGAIN (BROKEN, no sentence); ERR_EXISTS, ERR_ARG (id 0, side), ERR_RANGE (px, qty, the level's
 *         sum): GARBLED; ERR_LIMIT: LIMIT. Each fault with a sentence; orders and levels are as before. */
err_t mbo_add(mbo_t *mbo, uint64_t id, side_t side, int64_t px, int64_t qty);

/* mbo_reduce: qty less of an order, by a cancel or an execution; none left = it is gone.
 * Returns ERR_OK; ERR_AGAIN; ERR_NOT_FOUND: LOST; ERR_RANGE (qty below 1 or more than is left): GARBLED. As above. */
err_t mbo_reduce(mbo_t *mbo, uint64_t id, int64_t qty);

/* mbo_modify: new price and quantity left; the side stays.
 * Returns ERR_OK; ERR_AGAIN; ERR_NOT_FOUND: LOST; ERR_RANGE: GARBLED; ERR_LIMIT: LIMIT. As above. */
err_t mbo_modify(mbo_t *mbo, uint64_t id, int64_t px, int64_t qty);

feed_health_t mbo_health(const mbo_t *mbo);
feed_reason_t mbo_reason(const mbo_t *mbo); /* why it is not LIVE; NONE when it is */

/* mbo_find: one order; false and *out untouched when it is not there. O(1). */
bool mbo_find(const mbo_t *mbo, uint64_t id, mbo_order_t *out);

/* mbo_ahead: quantity that stands before an order on its level; -1 when the order is not there. O(orders before it). */
int64_t mbo_ahead(const mbo_t *mbo, uint64_t id);

/* mbo_level: the n-th best level of a side, 0 the best; false and all 0 when there are not so many. O(1): walking a side
 * is counting n up, the top is n = 0 .. 19. */
bool mbo_level(const mbo_t *mbo, side_t side, uint32_t n, mbo_level_t *out);

/* mbo_level_at: the level at a price; false and all 0 when there is none. O(1). */
bool mbo_level_at(const mbo_t *mbo, side_t side, int64_t px, mbo_level_t *out);

/* mbo_queue: the orders of a level, oldest first, at most max; how many were written. */
uint32_t mbo_queue(const mbo_t *mbo, side_t side, int64_t px, mbo_order_t *out, uint32_t max);

/* mbo_level_count, mbo_order_count: of a side. O(1). mbo_crossed: best bid at or above best ask. O(1). */
uint32_t mbo_level_count(const mbo_t *mbo, side_t side);
uint32_t mbo_order_count(const mbo_t *mbo, side_t side);
bool     mbo_crossed(const mbo_t *mbo);

/* mbo_hash: health, levels and queues in order: equal contents give equal hashes by whatever path. O(orders). */
uint64_t mbo_hash(uint64_t hash, const mbo_t *mbo);
