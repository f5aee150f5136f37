/* view: a book to be read, whether its feed gives levels (L2: book.h) or single orders (L3: l3.h). Who prices, publishes
 * or shows a book comes here and need not know which it is.
 *
 *     view_t { kind, book | l3 }    two words, by value; each function is one branch and the call
 *
 * All questions on levels mean the same of both. What only single orders can tell (an order's place, the orders of a level) is
 * "not known" of an L2 book: -1, or none. A view of nothing (kind VIEW_NONE) has health FEED_NONE and is empty.
 *
 * Crossed  an L2 book that is crossed is BROKEN. An L3 book may be, before an auction: it is STALE/CROSSED then, so that
 *          view_best() never says LIVE of a crossed book.
 * Owner    whoever owns the book; a view lives as long as the book stays where it is. Threads: the book's.
 * Cost     of book.h and mbo.h. */
#pragma once

#include "core/book/book.h"
#include "core/book/l3.h"

typedef enum view_kind { VIEW_NONE = 0, VIEW_L2, VIEW_L3 } view_kind_t;

typedef struct view {
    view_kind_t kind;
    union {
        const book_t *book;
        const l3_t   *l3;
    };
} view_t;

static inline view_t view_of_book(const book_t *book)
{
    return (view_t){.kind = VIEW_L2, .book = book};
}
static inline view_t view_of_l3(const l3_t *l3)
{
    return (view_t){.kind = VIEW_L3, .l3 = l3};
}

static inline feed_health_t view_health(view_t v)
{
    return v.kind == VIEW_L2 ? book_health(v.book) : v.kind == VIEW_L3 ? (feed_health_t)v.l3->health : FEED_NONE;
}
static inline feed_reason_t view_reason(view_t v)
{
    return v.kind == VIEW_L2 ? book_reason(v.book) : v.kind == VIEW_L3 ? (feed_reason_t)v.l3->reason : FEED_REASON_NONE;
}
static inline uint64_t view_rpt_seq(view_t v)
{
    return v.kind == VIEW_L2 ? book_rpt_seq(v.book) : v.kind == VIEW_L3 ? v.l3->rpt_seq : 0;
}
/* view_venue_seq, view_updated_mono_ns: of the last complete message; 0 before the first. */
static inline uint64_t view_venue_seq(view_t v)
{
    return v.kind == VIEW_L2 ? book_venue_seq(v.book) : v.kind == VIEW_L3 ? v.l3->venue_seq : 0;
}
static inline int64_t view_updated_mono_ns(view_t v)
{
    return v.kind == VIEW_L2 ? book_updated_mono_ns(v.book) : v.kind == VIEW_L3 ? v.l3->updated_mono_ns : 0;
}

/* view_best: best bid and offer after the last complete message; a side that is empty has px 0, qty 0. True when the book
 * is LIVE: else the values are the last that held. O(1). */
static inline bool view_best(view_t v, int64_t *bid_px, int64_t *bid_qty, int64_t *ask_px, int64_t *ask_qty)
{
    if (v.kind == VIEW_L2) {
        return book_best(v.book, bid_px, bid_qty, ask_px, ask_qty);
    }
    if (v.kind == VIEW_L3) {
        return l3_best(v.l3, bid_px, bid_qty, ask_px, ask_qty);
    }
    *bid_px = *bid_qty = *ask_px = *ask_qty = 0;
    return false;
}

/* view_level_count: levels of a side. view_levels: the best of them, best first, at most max; how many. */
static inline uint32_t view_level_count(view_t v, side_t side)
{
    return v.kind == VIEW_L2   ? book_level_count(v.book, side)
           : v.kind == VIEW_L3 ? mbo_level_count(l3_mbo(v.l3), side)
                               : 0;
}
static inline uint32_t view_levels(view_t v, side_t side, level_t *out, uint32_t max)
{
    return v.kind == VIEW_L2   ? book_levels(v.book, side, out, max)
           : v.kind == VIEW_L3 ? l3_levels(v.l3, side, out, max)
                               : 0;
}

/* view_qty_at: quantity at a price; 0 when there is no level. view_depth_within: quantity at px_limit or better; a sum
 * beyond int64 is INT64_MAX. */
static inline int64_t view_qty_at(view_t v, side_t side, int64_t px)
{
    mbo_level_t level = {0};
    if (v.kind == VIEW_L3) {
        mbo_level_at(l3_mbo(v.l3), side, px, &level);
    }
    return v.kind == VIEW_L2 ? book_qty_at(v.book, side, px) : level.qty;
}
static inline int64_t view_depth_within(view_t v, side_t side, int64_t px_limit)
{
    return v.kind == VIEW_L2   ? book_depth_within(v.book, side, px_limit)
           : v.kind == VIEW_L3 ? l3_depth_within(v.l3, side, px_limit)
                               : 0;
}

/* view_ahead: quantity that stands before an order on its level; -1 = not known: no such order, or no single orders.
 * view_queue: the orders at a price, oldest first, at most max; how many: 0 of an L2 book. */
static inline int64_t view_ahead(view_t v, uint64_t order_id)
{
    return v.kind == VIEW_L3 ? mbo_ahead(l3_mbo(v.l3), order_id) : -1;
}
static inline uint32_t view_queue(view_t v, side_t side, int64_t px, mbo_order_t *out, uint32_t max)
{
    return v.kind == VIEW_L3 ? mbo_queue(l3_mbo(v.l3), side, px, out, max) : 0;
}

/* view_hash: all that a later answer depends on, the kind too. */
static inline uint64_t view_hash(uint64_t hash, view_t v)
{
    return v.kind == VIEW_L2   ? book_hash(hash ^ VIEW_L2, v.book)
           : v.kind == VIEW_L3 ? l3_hash(hash ^ VIEW_L3, v.l3)
                               : hash;
}
