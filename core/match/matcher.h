/* matcher: the market of one instrument as an exchange runs it: every order type, session phases, positions of owners
 * and the feed of single orders, on top of the matching core (core/match/clob.h).
 *
 *   submit ──▶ door ──code──▶ REJECTED
 *                │ welcome
 *                ├─ MARKET, LIMIT ─────────────────────────▶ clob ─▶ TRADE ... ─▶ rests, or is gone
 *                └─ STOP ... TRAILING_STOP_LIMIT              ▲          │ last price
 *                      stops   (heap a side, by stop price) ◀─┼──────────┤ takes those it went through, moves trails
 *                      trails  (heap a side, by water mark) ◀─┼──────────┘
 *                      queue   (triggered, in order) ─────────┘ one after the other, until none is left
 *
 * Stops    trigger on the last trade price: a buy at last >= stop_px, a sell at last <= stop_px; one that is through
 *          already when it comes triggers at once. An incoming order is finished first, with all its trades; then the
 *          price of its first trade and the price of its last one are looked at, in this order (between them the price
 *          only moves one way, so these two see what each single trade would). What a price triggers queues up: buys by
 *          rising stop price, then sells by falling stop price, equal ones by arrival. The queue is worked off first in,
 *          first out; what these orders trigger themselves goes to its tail. Each order triggers once, so it ends.
 *          STOP, TRAILING_STOP enter as MARKET, the others as LIMIT; time in force, post-only, iceberg and self-trade
 *          prevention count from there (a stop with IOC or FOK waits as long as it takes).
 *          A trailing stop follows the best last price since it came at a distance of `trail`, and never goes back: a
 *          sell's stop price only rises, a buy's only falls. It starts at stop_px or at last -+ trail, whichever is
 *          nearer to the market; stop_px 0 = there is only the latter. It is not reported as it moves (matcher_find
 *          shows it) and costs nothing while it does not. TRAILING_STOP_LIMIT: px is how much worse than the stop price
 *          the limit may be; the limit is rounded to the tick in the owner's favour.
 * Time in  IOC and MARKET take what there is, FOK everything or nothing. DAY goes when the phase becomes CLOSED, GTD when
 * force    its time has come: matcher_due_ns says when the next one is, and until matcher_expire has been called nobody
 *          can trade at that time or later (ERR_STATE).
 * Replace  names all terms anew. Less quantity at the same price (a stop: all else equal) keeps the place; everything
 *          else is the newest again, and takes first what it now crosses, as a new order would. More quantity
 *          that a reduce-only order may not bring in is no more quantity.
 * Owners   1 .. owners_max; 0 is nobody: no position, no self-trade prevention, no reduce-only.
 * Reduce-  A reduce-only order never lets |position| grow and never turns it round:
 * only       at entry, and a stop when it triggers, it is cut to |position| (RESTATED), down to the lot; where nothing
 *            is left, or it would go the other way, it is REJECTED (a stop: CANCELED);
 *            what rests is good for the part of the position that no other resting order of this side and owner would
 *            close: after each call of an owner the newest are cut or CANCELED until all resting orders of the side
 *            that closes, together, are no more than |position|. Orders that are not reduce-only are never cut, but
 *            they count.
 *          So whatever sweep comes, in one go, fills of resting orders cannot turn a position that a reduce-only order
 *          stood for, and no sweep has to be interrupted. What was cut does not grow back.
 * Phases   OPEN         everything
 *          CANCEL_ONLY  cancels, and replaces that keep the place
 *          HALTED       cancels
 *          CLOSED       no request at all; DAY orders expire on the way in
 *          Orders expire in all of them. What triggers outside of OPEN (matcher_print) waits in the queue for OPEN.
 * Reports  one caller's array; FIX words. leaves_qty = order_qty - cum_qty while an order is open: what self-trade
 *          prevention or a cut takes off is taken off order_qty and reported (RESTATED, last_qty = how much). CANCELED
 *          and EXPIRED leave order_qty as it was and say in last_qty what never traded. A trade is two reports, the
 *          maker's first, with one match_id. An order is named by its id, which must be new among those that are open.
 * Feed     every change of the visible book as mbo_entry_t, in order: a core/book/mbo.h fed with them is this book. An
 *          iceberg shows its slice only; its next slice is an ADD under the same id. What loses its place is a CANCEL
 *          and an ADD. Trades besides, with the aggressor's side.
 * Room     a call begins only when the room is there for the most that one order can cause (matcher_room: it follows
 *          from fills_max, and an order that would need more is refused with VENUE_REJECT_FILLS). Otherwise ERR_FULL,
 *          and nothing happened. Between two triggered orders it looks again: ERR_AGAIN means that all is well so far,
 *          orders still queue, and after emptying the room matcher_run goes on; requests are ERR_STATE until then. The
 *          outputs strung together are the same for any room.
 * Memory   one block, the caller's; indexes, no pointers: its bytes are its snapshot, and a copy goes on like the original
 *          (matcher_join). Nothing is allocated.
 * Threads  one. No clock: ts_ns, the venue's time, comes with each call and stands in what it causes.
 * Cost     that of the clob, and O(log n) for a stop or a term that comes or goes; n stops that a new best price
 *          moves: O(n log n) for these n only.
 * Limits   orders_max 1..2^20 open at once, stops included; one order up to CLOB_QTY_MAX; |px| and |position| up to
 *          2^62; 32 open reduce-only orders an owner. No auctions.
 * Source   FIX 5.0 SP2: OrdType (40), TimeInForce (59), ExecType (150), SelfMatchPrevention; for reduce-only the rule that
 *          derivative venues publish, made exact. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/match/clob.h"
#include "core/match/own.h"
#include "core/ref/instrument.h"

#define MATCHER_FILLS_MAX (1u << 20)
#define MATCHER_OWNERS_MAX (1u << 20)
#define MATCHER_POS_MAX (1LL << 62)
#define MATCHER_REDUCE_ONLY_MAX 32u /* open at once, an owner */

typedef enum matcher_phase { MATCHER_OPEN = 1, MATCHER_CANCEL_ONLY, MATCHER_HALTED, MATCHER_CLOSED } matcher_phase_t;

typedef enum matcher_exec { /* 150, ASCII as FIX */
                            MATCHER_NEW            = '0',
                            MATCHER_CANCELED       = '4',
                            MATCHER_REPLACED       = '5',
                            MATCHER_REJECTED       = '8',
                            MATCHER_CANCEL_REJECT  = '9', /* as exec_type_t */
                            MATCHER_EXPIRED        = 'C',
                            MATCHER_RESTATED       = 'D',
                            MATCHER_TRADE          = 'F',
                            MATCHER_TRIGGERED      = 'L',
                            MATCHER_REPLACE_REJECT = 'R'
} matcher_exec_t;

typedef enum matcher_reason { /* of CANCELED, EXPIRED, RESTATED */
                              MATCHER_REASON_NONE = 0,
                              MATCHER_REASON_REQUEST,     /* its cancel                                        */
                              MATCHER_REASON_MASS,        /* all orders of its owner                           */
                              MATCHER_REASON_IMMEDIATE,   /* IOC, MARKET: nothing more to take                 */
                              MATCHER_REASON_FOK,         /* not all of it could be had                        */
                              MATCHER_REASON_STP,         /* self-trade prevention                             */
                              MATCHER_REASON_REDUCE_ONLY, /* no position left that it could reduce             */
                              MATCHER_REASON_REFUSED,     /* a stop that was refused when it triggered: code   */
                              MATCHER_REASON_DAY,         /* the session ended                                 */
                              MATCHER_REASON_GTD          /* its time has come                                 */
} matcher_reason_t;

typedef struct matcher_cfg {
    uint32_t orders_max;   /* open at once, stops included; 1..CLOB_ORDERS_MAX */
    uint32_t owners_max;   /* 0..MATCHER_OWNERS_MAX */
    uint32_t fills_max;    /* events of one order in the book: fills, self-trade prevention, slices of icebergs that
                            * show up; 1..MATCHER_FILLS_MAX */
    uint32_t window_ticks; /* clob_cfg_t */
} matcher_cfg_t;

typedef struct matcher_order { /* a new order */
    uint64_t id;               /* not 0 */
    int64_t  px;               /* LIMIT, STOP_LIMIT: the limit. TRAILING_STOP_LIMIT: its distance from the stop price,
                                * >= 0. MARKET: no worse than this, 0 = whatever. STOP, TRAILING_STOP: 0 */
    int64_t  qty;
    int64_t  display_qty; /* iceberg: a multiple of the lot; 0 = all is visible */
    int64_t  stop_px;     /* of the four stop types; trailing: where it starts, 0 = from the last price; else 0 */
    int64_t  trail;       /* of the two trailing types, > 0; else 0 */
    int64_t  expire_ns;   /* GTD: first moment at which it is gone; else 0 */
    uint32_t owner;
    uint8_t  side;
    uint8_t  ord_type;
    uint8_t  tif;
    uint8_t  stp;       /* stp_t */
    uint16_t exec_inst; /* EXEC_INST_*: post-only for LIMIT and the stops that become one, not IOC, FOK */
    uint16_t reserved;
} matcher_order_t;

typedef struct matcher_change { /* a replace: all of these are the new terms, side and the rest stay */
    uint64_t id;
    int64_t  px;  /* as in matcher_order_t while it waits; the limit once it rests */
    int64_t  qty; /* new total, above what is filled */
    int64_t
        stop_px; /* while it waits; likewise trail (0, 0 for others; what rests has done with them: not looked at) */
    int64_t trail;
} matcher_change_t;

typedef struct matcher_report {
    uint64_t id;
    uint64_t match_id; /* 880, TRADE: from 1, the same for both sides */
    int64_t  px;       /* the order's terms as they stand after the event */
    int64_t  stop_px;
    int64_t  order_qty;
    int64_t  cum_qty;
    int64_t  leaves_qty;
    int64_t  last_px;  /* TRADE */
    int64_t  last_qty; /* TRADE; RESTATED: taken off; CANCELED, EXPIRED: what never traded */
    int64_t  ts_ns;
    uint32_t owner;
    uint16_t code; /* venue_reject_t: of REJECTED, CANCEL_REJECT, REPLACE_REJECT, and CANCELED when REFUSED */
    uint8_t  exec; /* matcher_exec_t */
    uint8_t  reason;
    uint8_t  side;
    uint8_t  liquidity;
    uint8_t  ord_type;
    uint8_t  tif;
    uint32_t reserved;
} matcher_report_t;

typedef struct matcher_out { /* the caller's: counts go up, never beyond caps */
    matcher_report_t *reports;
    mbo_entry_t      *entries;
    trade_t          *trades;
    uint32_t          report_cap, report_count;
    uint32_t          entry_cap, entry_count;
    uint32_t          trade_cap, trade_count;
} matcher_out_t;

typedef struct matcher_room {
    uint32_t reports, entries, trades;
} matcher_room_t;

typedef enum matcher_stand { MATCHER_WAITING = 1, MATCHER_QUEUED, MATCHER_RESTING } matcher_stand_t;

typedef struct matcher_rest { /* an open order */
    uint64_t        id;
    int64_t         px;
    int64_t         stop_px;
    int64_t         order_qty;
    int64_t         cum_qty;
    int64_t         visible_qty; /* RESTING; else 0 */
    uint32_t        owner;
    side_t          side;
    matcher_stand_t stand;
} matcher_rest_t;

typedef struct matcher matcher_t;

/* Life. footprint: 0 and a sentence when cfg is out of its limits; new: an empty market in phase OPEN without a last
 * price, NULL likewise; join: the market in a block that was formatted before (a copy), NULL with a sentence when there is
 * none. */
size_t     matcher_align(void);
size_t     matcher_footprint(const matcher_cfg_t *cfg);
matcher_t *matcher_new(void *mem, const matcher_cfg_t *cfg, const instrument_t *ins);
matcher_t *matcher_join(void *mem);

/* matcher_room: what the calls below need of each at least. 2 * fills_max + 40 reports, fills_max + 40 entries,
 * fills_max trades. */
matcher_room_t matcher_room(const matcher_t *matcher);

/* matcher_submit: a new order; what becomes of it is in the reports, REJECTED included.
 * Returns ERR_OK; ERR_FULL: less room than matcher_room, nothing happened; ERR_AGAIN: done, but triggered orders still
 *         queue (see Room); ERR_STATE with a sentence: matcher_run or matcher_expire has to come first, nothing
 *         happened. */
err_t matcher_submit(matcher_t *matcher, const matcher_order_t *order, int64_t ts_ns, matcher_out_t *out);

/* matcher_replace: new terms for an open order; REPLACED, or REPLACE_REJECT and it stands as it was. Returns as submit. */
err_t matcher_replace(matcher_t *matcher, const matcher_change_t *change, int64_t ts_ns, matcher_out_t *out);

/* matcher_cancel: an open order is CANCELED, or CANCEL_REJECT. ERR_OK; ERR_FULL. */
err_t matcher_cancel(matcher_t *matcher, uint64_t id, int64_t ts_ns, matcher_out_t *out);

/* matcher_cancel_owner: all open orders of an owner, oldest first (0: all that are nobody's); not in CLOSED: ERR_STATE.
 * ERR_OK; ERR_AGAIN: the room is used up, call again for the rest; ERR_FULL; ERR_ARG with a sentence: no such owner. */
err_t matcher_cancel_owner(matcher_t *matcher, uint32_t owner, int64_t ts_ns, matcher_out_t *out);

/* matcher_expire: EXPIRED for all GTD orders whose time is ts_ns or before, by time, then arrival.
 * ERR_OK; ERR_AGAIN: the room is used up, call again; ERR_FULL. */
err_t matcher_expire(matcher_t *matcher, int64_t ts_ns, matcher_out_t *out);

/* matcher_due_ns: when the next GTD order goes; INT64_MAX when there is none. O(1). */
int64_t matcher_due_ns(const matcher_t *matcher);

/* matcher_enter: the phase becomes this one, see Phases. Returns as submit; ERR_AGAIN on the way to CLOSED: call again for
 * the DAY orders that are left; ERR_ARG with a sentence: no such phase. */
err_t matcher_enter(matcher_t *matcher, matcher_phase_t phase, int64_t ts_ns, matcher_out_t *out);

/* matcher_print: the last price is this one, by a trade that was not made in this book (another session's, an auction's).
 * Stops trigger and trail as after any trade. Returns as submit, and ERR_RANGE with a sentence. */
err_t matcher_print(matcher_t *matcher, int64_t px, int64_t ts_ns, matcher_out_t *out);

/* matcher_set_position: an owner's net position is this (at the start, or by a transfer); its reduce-only orders are cut
 * accordingly. Returns as submit, and ERR_RANGE, ERR_ARG with a sentence. */
err_t matcher_set_position(matcher_t *matcher, uint32_t owner, int64_t qty, int64_t ts_ns, matcher_out_t *out);

/* matcher_run: goes on with queued orders after ERR_AGAIN. ERR_OK, ERR_AGAIN as submit; ERR_FULL: no order had room;
 * ERR_STATE with a sentence: matcher_expire has to come first. */
err_t matcher_run(matcher_t *matcher, int64_t ts_ns, matcher_out_t *out);

/* Reading, all O(1). matcher_find: an open order; false and *out untouched when there is none. matcher_position: 0 for
 * owners without. matcher_last: false before the first trade. matcher_open: open orders, stops included. matcher_book: the
 * resting orders: best, levels, walks (its ids are the matcher's own). */
bool            matcher_find(const matcher_t *matcher, uint64_t id, matcher_rest_t *out);
int64_t         matcher_position(const matcher_t *matcher, uint32_t owner);
bool            matcher_last(const matcher_t *matcher, int64_t *px);
matcher_phase_t matcher_phase(const matcher_t *matcher);
uint32_t        matcher_open(const matcher_t *matcher);
const clob_t   *matcher_book(const matcher_t *matcher);

/* matcher_picture: the whole visible book as ADD entries, bids then asks, best level first, oldest order of a level first:
 * a snapshot of the feed. *count entries. ERR_OK; ERR_FULL: more than cap (cfg.orders_max is always enough). */
err_t matcher_picture(const matcher_t *matcher, mbo_entry_t *entries, uint32_t cap, uint32_t *count);
