/* clob: a central limit order book with exact price-time matching of single orders (L3): what a venue runs.
 *
 *   id ─▶ index: 4 bytes a bucket, sized to live orders ─▶ row
 *                                                         │
 *   px ─▶ ladder of the side (core/book/ladder.h)         ▼
 *           level {px, qty, head, tail, count}  ◀──▶  orders[row] {id, qty, next, prev, place, owner}: a queue per
 *                                                     level, oldest first, a ring that the level closes
 *                                                     hidden[row] {qty, display_qty}: beside, touched for icebergs only
 *
 * Rules    An incoming order takes from the best opposite level first and from the oldest order of a level first, each
 *          time at the price of the resting order. A part fill leaves the resting order where it stands. What is left:
 *            LIMIT, GTC or DAY   rests at the tail of its level
 *            IOC, and MARKET     is gone (clob_out_t.leaves_qty says how much)
 *            FOK                 takes everything at once or nothing at all; it counts hidden quantity too
 *            post-only           takes nothing: ERR_CROSSED when its price meets an opposite order, whoever's that is
 *          Replace: quantity down at the same price keeps its place (an iceberg gives up hidden quantity first);
 *          everything else goes to the tail of its (new) level, after taking what it now crosses. Bids and asks never
 *          cross, and never touch.
 * Iceberg  display_qty > 0: no more than that much is visible at a time, and only what is visible is in the quantity of
 *          its level and can be taken in one go. When the visible slice is used up, the next one goes to the tail of
 *          the level as if it had just come (event REPLENISH).
 * Self-    stp says what an incoming (or replaced) order does when it would trade with a resting order of its owner;
 * trade    owner 0 is nobody and equal to nobody. It is asked order by order, when the resting one is next to trade:
 * preven-    STP_NONE            they trade
 * tion       STP_CANCEL_NEWEST   what is left of the incoming order is gone (out.stopped)
 *            STP_CANCEL_OLDEST   the resting order is gone, hidden quantity too; the incoming one goes on
 *            STP_CANCEL_BOTH     both
 *            STP_DECREMENT       both lose the smaller of the two open quantities without a trade; the one that has
 *                                nothing left is gone, the other goes on. A resting iceberg loses hidden quantity first
 *          What stopped never rests. A FOK is filled by others alone: resting orders of its owner count for nothing;
 *          where it would have to stop or be decremented before it is full, it is killed and nothing changes.
 * Events   what became of resting orders, in the order in which it happened. The caller's array has to hold all of one
 *          call: they are counted before anything happens, and too many are ERR_FULL. (orders_max events are enough
 *          where no iceberg rests, and are then not counted.) After every error the book is as before.
 * Prices   any multiple of px_step with |px| < CLOB_PX_MAX (market orders may name any price as their limit). Levels
 *          within window_ticks of the best are found by index, others through a hash; none is refused or lost.
 * Limits   orders_max up to 2^20; a single order up to CLOB_QTY_MAX, so that the sum of a level cannot overflow.
 * Memory   one block, the caller's; no pointers: its bytes are its snapshot. Nothing is allocated. Order ids are any
 *          64-bit numbers but 0. The row of an order is its own from the moment it rests until it is gone, through
 *          every replace; rows (< orders_max) are recycled last in, first out, so a caller may keep arrays beside.
 * Threads  one. No time: arrival order is call order.
 * Cost     add and cancel O(1), a taker O(orders taken). 27-45 ns an order in a book of 10,000, as the machine is, and
 *          memory's time for books that are not in cache (hwal bench book). */
#pragma once

#include <stdbool.h>

#include "core/types/err.h"
#include "core/types/msg.h"

#define CLOB_ORDERS_MAX (1u << 20)
#define CLOB_QTY_MAX (1LL << 42)
#define CLOB_PX_MAX (1LL << 62)
#define CLOB_NONE UINT32_MAX /* no row */

typedef enum stp { STP_NONE = 0, STP_CANCEL_NEWEST, STP_CANCEL_OLDEST, STP_CANCEL_BOTH, STP_DECREMENT } stp_t;

typedef struct clob_cfg {
    int64_t  px_step;      /* 1..2^44; the finest tick: every price is a multiple of it */
    uint32_t orders_max;   /* resting at once */
    uint32_t window_ticks; /* found by index, of px_step: a power of two, 256..65536 */
} clob_cfg_t;

typedef struct clob_order {
    uint64_t id;          /* new in this book, not 0 */
    int64_t  px;          /* LIMIT: a multiple of px_step; MARKET: no worse than this, used when capped */
    int64_t  qty;         /* open quantity, hidden included */
    int64_t  display_qty; /* what rests of it shows at most this much; 0 = all */
    uint32_t owner;       /* 0 = nobody */
    uint8_t  side;
    uint8_t  ord_type; /* LIMIT, MARKET */
    uint8_t  tif;      /* GTC, DAY, IOC, FOK */
    uint8_t  stp;      /* stp_t */
    bool     post_only;
    bool     capped; /* MARKET: px is a limit */
} clob_order_t;

typedef struct clob_replace { /* of a resting order, GTC; owner and display_qty stay */
    uint64_t id;
    int64_t  px;
    int64_t  leaves_qty; /* what is left to fill, not the total; hidden included */
    uint8_t  stp;
    bool     post_only;
} clob_replace_t;

typedef enum clob_kind {
    CLOB_FILL = 1,      /* a trade at px */
    CLOB_STP_CANCEL,    /* the maker is gone; qty = what it had, hidden included */
    CLOB_STP_DECREMENT, /* qty is off both, no trade */
    CLOB_REPLENISH      /* an iceberg's next slice went to the tail of its level; qty = visible now */
} clob_kind_t;

typedef struct clob_event { /* one resting order */
    uint64_t maker_id;
    int64_t  px; /* the maker's */
    int64_t  qty;
    int64_t  maker_leaves_qty; /* hidden included; 0 = gone from the book */
    uint32_t maker_row;        /* when the maker is gone it may be in use again from the next call on, and by the rest
                                * of this very order (out.row) */
    uint32_t kind;
} clob_event_t;

typedef struct clob_out { /* events and cap are the caller's; the rest is set by each call that returns ERR_OK */
    clob_event_t *events;
    uint32_t      cap;
    uint32_t      count;
    int64_t       leaves_qty; /* of the incoming order, after fills and decrements */
    uint32_t      row;        /* where it rests; CLOB_NONE when it does not */
    bool          resting;    /* leaves_qty stands in the book; false: it is gone */
    bool          stopped;    /* self-trade prevention ended it (CANCEL_NEWEST, CANCEL_BOTH) */
} clob_out_t;

typedef struct clob_rest { /* a resting order */
    uint64_t id;
    int64_t  px;
    int64_t  leaves_qty; /* hidden included */
    int64_t  visible_qty;
    int64_t  display_qty; /* 0 = no iceberg */
    uint32_t owner;
    uint32_t row;
    side_t   side;
} clob_rest_t;

typedef struct clob clob_t;

/* Life. footprint: 0 and a sentence when cfg is out of range; new: an empty book, NULL likewise. */
size_t  clob_align(void);
size_t  clob_footprint(const clob_cfg_t *cfg);
clob_t *clob_new(void *mem, const clob_cfg_t *cfg);

/* clob_submit: an order arrives.
 * Returns ERR_OK; ERR_CROSSED post-only that would take; ERR_FULL more events than out->cap; ERR_LIMIT no row for the
 *         rest; ERR_EXISTS id is resting already; ERR_RANGE price or quantity; ERR_ARG an enum. Nothing changed then;
 *         a sentence with the last four. */
err_t clob_submit(clob_t *clob, const clob_order_t *order, clob_out_t *out);

/* clob_cancel: ERR_OK and what was left of it, hidden included; ERR_NOT_FOUND (no sentence: a late cancel is an
 * answer). */
err_t clob_cancel(clob_t *clob, uint64_t id, int64_t *leaves_qty);

/* clob_replace: new price and new open quantity of a resting order. Its row stays unless it is gone.
 * Returns as clob_submit, and ERR_NOT_FOUND; the order stands as it was on every error. */
err_t clob_replace(clob_t *clob, const clob_replace_t *change, clob_out_t *out);

/* clob_prefetch: asks the cache for what an order that comes soon will touch; of use where many books take turns and
 * none stays in cache (in a single book it costs more than it saves). Call it for the orders of a batch (16, say) in
 * rounds 0 to CLOB_PREFETCH_ROUNDS - 1, each round for all of them before the next, since a round reads what the one
 * before asked for; then call clob_submit and clob_cancel. side and px: of an order to submit; side 0: id is to be
 * canceled or replaced. Any values will do, and other calls may come between. Changes nothing. ~5 ns a call. */
#define CLOB_PREFETCH_ROUNDS 4u
void clob_prefetch(const clob_t *clob, uint64_t id, side_t side, int64_t px, unsigned round);

/* clob_find: a resting order by id; false (out untouched) when it is not there. clob_at: by the row of one that rests.
 * O(1). */
bool clob_find(const clob_t *clob, uint64_t id, clob_rest_t *out);
void clob_at(const clob_t *clob, uint32_t row, clob_rest_t *out);

/* clob_first, clob_next: rows of a side in the order in which they would trade; CLOB_NONE at the end. Valid as long as
 * the book is not changed; O(1), where levels are few and far O(log) a level. */
uint32_t clob_first(const clob_t *clob, side_t side);
uint32_t clob_next(const clob_t *clob, uint32_t row);

/* clob_best: the best level of a side; false (out px 0, qty 0) when it is empty. O(1). Quantities are the visible ones
 * here and below. */
bool clob_best(const clob_t *clob, side_t side, level_t *out);

/* clob_qty_at: what stands at px on a side; 0 where nothing does. O(1). */
int64_t clob_qty_at(const clob_t *clob, side_t side, int64_t px);

/* clob_levels: up to max levels of a side, best first; returns how many. ~3 ns a level. */
uint32_t clob_levels(const clob_t *clob, side_t side, level_t *out, uint32_t max);

/* clob_queue: visible quantity in front of a resting order on its level; -1 when it is not there. O(orders in front). */
int64_t clob_queue(const clob_t *clob, uint64_t id);

/* clob_count: resting orders of a side. */
uint32_t clob_count(const clob_t *clob, side_t side);
