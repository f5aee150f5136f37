/* clob: a central limit order book with exact price-time matching of single orders (L3): what a venue runs.
 *
 *   px ─▶ level = (px - px_min) / px_step        levels[level_count]  {head, tail, count, qty}
 *          │                                        │
 *          │   bids, asks: one bitmap each, 3       └▶ nodes: a queue per level, linked by 32-bit index, oldest first
 *          ▼   tiers of 64-bit words
 *         best bid = highest bit, best ask = lowest bit; the next level is found in at most five words
 *
 * Rules    An incoming order takes from the best opposite level first and from the oldest order of a level first, each
 *          time at the price of the resting order. A part fill leaves the resting order where it stands. What is left:
 *            LIMIT, GTC or DAY   rests at the tail of its level
 *            IOC, and MARKET     is gone (clob_out_t.leaves_qty says how much)
 *            FOK                 takes everything at once or nothing at all
 *            post-only           takes nothing: ERR_CROSSED when it would
 *          Replace: quantity down at the same price keeps its place; everything else goes to the tail of its (new)
 *          level, after taking what it now crosses. Bids and asks never cross, and never touch.
 *          Orders of one owner do match each other: self-trade prevention is the caller's.
 * Limits   px_min + (level_count - 1) * px_step is the end of the band: a limit price outside, or between two steps, is
 *          ERR_RANGE (market orders may name any price as their limit). level_count up to 2^18 and orders up to 2^20;
 *          a single order up to CLOB_QTY_MAX, so that the sum of a level cannot overflow.
 * Memory   one block, the caller's; no pointers: its bytes are its snapshot. Nothing is allocated. Order ids are any
 *          64-bit numbers but 0; the hash is sized to live orders and rows are recycled last in, first out.
 * Output   fills are written into the caller's array, counted before anything happens: too many = ERR_FULL, and the
 *          book is as before. So is it after every other error.
 * Threads  one. No time: arrival order is call order.
 * Cost     add and cancel O(1), a taker O(orders taken) after a count of O(levels taken). */
#pragma once

#include <stdbool.h>

#include "core/types/err.h"
#include "core/types/msg.h"

#define CLOB_LEVELS_MAX (1u << 18)
#define CLOB_ORDERS_MAX (1u << 20)
#define CLOB_QTY_MAX (1LL << 42)

typedef struct clob_cfg {
    int64_t  px_min;  /* price of level 0 */
    int64_t  px_step; /* > 0; the finest tick of the band */
    uint32_t level_count;
    uint32_t orders_max; /* resting at once */
} clob_cfg_t;

typedef struct clob_order {
    uint64_t id; /* new in this book, not 0 */
    int64_t  px; /* LIMIT: on a level; MARKET: no worse than this, used when capped */
    int64_t  qty;
    uint32_t ref; /* the caller's, comes back in fills */
    uint8_t  side;
    uint8_t  ord_type;
    uint8_t  tif;
    bool     post_only;
    bool     capped; /* MARKET: px is a limit */
} clob_order_t;

typedef struct clob_fill { /* one resting order, part or whole, at its price */
    uint64_t maker_id;
    int64_t  px;
    int64_t  qty;
    int64_t  maker_leaves_qty; /* 0 = gone from the book */
    uint32_t maker_ref;
    uint32_t reserved;
} clob_fill_t;

typedef struct clob_out { /* fills and cap are the caller's; the rest is set by each call that returns ERR_OK */
    clob_fill_t *fills;
    uint32_t     cap;
    uint32_t     count;
    int64_t      leaves_qty; /* of the incoming order, after its fills */
    bool         resting;    /* leaves_qty stands in the book; false: it is gone */
} clob_out_t;

typedef struct clob clob_t;

/* Life. footprint: 0 and a sentence when cfg is out of range; new: an empty book, NULL likewise. */
size_t  clob_align(void);
size_t  clob_footprint(const clob_cfg_t *cfg);
clob_t *clob_new(void *mem, const clob_cfg_t *cfg);

/* clob_submit: an order arrives.
 * Returns ERR_OK; ERR_CROSSED post-only that would take; ERR_FULL more fills than out->cap; ERR_LIMIT no row for the
 *         rest; ERR_EXISTS id is resting already; ERR_RANGE price or quantity; ERR_ARG an enum. Nothing changed then;
 *         a sentence with the last four. */
err_t clob_submit(clob_t *clob, const clob_order_t *order, clob_out_t *out);

/* clob_cancel: ERR_OK and what was left of it; ERR_NOT_FOUND (no sentence: a late cancel is an answer). */
err_t clob_cancel(clob_t *clob, uint64_t id, int64_t *leaves_qty);

/* clob_replace: new price and new open quantity (what is left to fill, not the total) of a resting order, GTC.
 * Returns as clob_submit, and ERR_NOT_FOUND; the order stands as it was on every error. */
err_t clob_replace(clob_t *clob, uint64_t id, int64_t px, int64_t leaves_qty, bool post_only, clob_out_t *out);

/* clob_find: side, px and what is left of a resting order; false when it is not there. O(1). */
bool clob_find(const clob_t *clob, uint64_t id, side_t *side, level_t *rest);

/* clob_best: the best level of a side; false (out px 0, qty 0) when it is empty. O(1). */
bool clob_best(const clob_t *clob, side_t side, level_t *out);

/* clob_qty_at: what stands at px on a side; 0 where nothing does. O(1). */
int64_t clob_qty_at(const clob_t *clob, side_t side, int64_t px);

/* clob_levels: up to max levels of a side, best first; returns how many. ~3 ns a level. */
uint32_t clob_levels(const clob_t *clob, side_t side, level_t *out, uint32_t max);

/* clob_queue: open quantity in front of a resting order on its level; -1 when it is not there. O(orders in front). */
int64_t clob_queue(const clob_t *clob, uint64_t id);

/* clob_count: resting orders of a side. */
uint32_t clob_count(const clob_t *clob, side_t side);
