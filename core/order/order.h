/* order: every order that we sent, from the moment risk let it pass until long after it is done.
 *
 *                          order_open                                            in FIX ord_status (39)
 *                              │
 *                              ▼           NEW, TRADE
 *      TIMEOUT ◀────────── PENDING_NEW ─────────────────▶ NEW ── TRADE ──▶ PARTIALLY_FILLED
 *         │                    │                           │   (order_cancel_sent: PENDING_CANCEL,
 *         ▼                    │ REJECTED, UNSENT           │    order_replace_sent: PENDING_REPLACE,
 *      UNKNOWN ── any open ──▶ │                            │    a refusal of either goes back)
 *         │      status        ▼                            ▼
 *         └──────────────▶  REJECTED   CANCELED   EXPIRED   FILLED          closed; no report ever opens it again
 *                           DONE_FOR_DAY, of an order that lives for one day
 *
 * Shown     ord_status is what the flags say, strongest first: closed, UNKNOWN, PENDING_CANCEL, PENDING_REPLACE,
 *           DONE_FOR_DAY, SUSPENDED, then PARTIALLY_FILLED, NEW, PENDING_NEW. So an order may be UNKNOWN with a replace
 *           still under way. DONE_FOR_DAY and SUSPENDED end with the next thing that the venue says it does.
 * Gap       ours, beside ord_status (order_gap() > 0): the venue has told of more filled quantity than it sent fills.
 *           That quantity rests no longer, so it is not in leaves; but it will become position, so order_part() counts
 *           it, FILLED waits for it, and the row is kept until the fills came or a query took the claim back.
 *
 * Names     An order is known by the ClOrdID of its NEW for life; the ids of REPLACE and CANCEL requests name requests
 *           only. Adapters report under the order's id. Ids of a report that are 0 are taken from the order; ids that
 *           contradict the order make it a report on an unknown order.
 * Fills     Every execution is booked, whatever state the order is in, and once: the key is (instrument_id, exec_id).
 *           Where a venue gives both sides of a trade one id, the adapter folds the order into exec_id. The newest
 *           fills_max executions are remembered; an older one that is reported again would be booked again (its cum_qty
 *           then raises CUM_BACKWARDS) and its bust is UNKNOWN_EXEC: size fills_max for the longest resend of the
 * venue. Not booked, with BAD_FILL: last_qty <= 0 (an adapter gives 0 for a quantity over 63 bits), no exec_id, a sum
 *           over 63 bits, an unknown instrument, or a fill of an unknown order that names no account.
 * Rows      cfg.orders_max rows: open orders are never given up; closed ones stay (late fills, duplicates) and are
 *           recycled, longest closed first. A fill of a recycled order is UNKNOWN_ORDER_FILL and still booked.
 *
 * Waits     orders with a request or a question that the venue has not answered stand in a list, longest silence first:
 *           order_overdue() looks at its head only. The time is that of the newest TICK.
 * Sides     open orders of an instrument and side are a treap by eager price and age, its priorities hashed from the
 *           ClOrdIDs: the best is at hand, insert and remove are O(log n) whoever the others are.
 *
 * Memory    one arena of the caller's; 32-bit row numbers, no pointers: its bytes are its snapshot, and order_hash() is
 *           the hash of those bytes (no padding, everything zeroed by new).
 * Threads   one writer, the engine thread; nobody else reads.
 * Units     px, qty: int64 in the instrument's scales. Sums of px * qty: 128 bits, exact; average price = px_qty / cum_qty
 * Errors    none: what a venue says is never an error here, it is a state or an alarm.
 * Sources   FIX 4.4 volume 4, order state change matrices; our conformance sequences. */
#pragma once

#include <stdbool.h>

#include "core/ref/instrument.h"
#include "core/types/err.h"
#include "core/types/msg.h"
#include "core/types/num.h"
#include "core/types/time.h"

#define ORDER_NONE UINT32_MAX /* no row */

#define ORDER_WALKS_MAX 8u
#define ORDER_ROWS_MAX (1u << 24)
#define ORDER_INSTRUMENTS_MAX (1u << 20)

typedef struct order_cfg {
    uint32_t orders_max;      /* rows: 1 .. ORDER_ROWS_MAX                                     */
    uint32_t fills_max;       /* executions remembered: 1 .. ORDER_ROWS_MAX                    */
    uint32_t instruments_max; /* ids 1 .. instruments_max; at most ORDER_INSTRUMENTS_MAX       */
    uint32_t reserved;
    int64_t  answer_ns; /* an order that waits longer for an answer is overdue; 0 = none ever is */
} order_cfg_t;

enum {                           /* order_t.flags */
       ORDER_ACKED          = 1, /* the venue has shown that it has the order   */
       ORDER_PENDING_CANCEL = 2,
       ORDER_UNKNOWN        = 4,
       ORDER_ASK            = 8,  /* a question about it is due                 */
       ORDER_ASKED          = 16, /* a question about it waits for its answer   */
       ORDER_SUSPENDED      = 32, /* the venue holds it back                    */
       ORDER_DONE_FOR_DAY   = 64, /* and lives on: GTC, GTD                     */
       ORDER_TRIGGERED      = 128 /* its stop price was reached, at the venue   */
};

typedef struct order { /* read by everyone in the engine thread, written by this module only */
    /* line 0: what exposure and self-trade prevention read */
    uint64_t cl_ord_id;
    int64_t  px;        /* limit at the venue as last confirmed (44)                                    */
    int64_t  px_value;  /* price at which risk values it: RISK section 6, Pw                            */
    int64_t  order_qty; /* total as last confirmed (38)                                                 */
    int64_t  exec_qty;  /* sum of fills, busted ones included: what can no longer fill                  */
    uint32_t account_id;
    uint32_t instrument_id;
    uint32_t strategy_id;
    uint16_t tenant_id;
    uint8_t  side;
    uint8_t  ord_status; /* shown; see above                                                             */
    uint32_t replaces;   /* REPLACE requests without an answer                                           */
    uint8_t  closed_as;  /* 0 while open, else FILLED, CANCELED, REJECTED, EXPIRED or DONE_FOR_DAY       */
    uint8_t  flags;
    uint8_t  position_effect; /* 77: position_effect_t                                                   */
    uint8_t  not_found;       /* queries in a row that did not find it; 255 = or more                    */

    /* line 1: requests under way, booking */
    int64_t  pend_qty;   /* over all replaces under way: largest new total,                              */
    int64_t  pend_px_lo; /*                              lowest and                                      */
    int64_t  pend_px_hi; /*                              highest price, limit or px_value                */
    int64_t  venue_cum;  /* most that the venue has said is filled                                       */
    int64_t  cum_qty;    /* booked, without busted fills (14)                                            */
    uint8_t  ord_type;
    uint8_t  tif;
    uint16_t exec_inst;
    uint32_t side_up; /* tree of the instrument and side: best price first, then oldest                */
    uint32_t side_left;
    uint32_t side_right;
    uint32_t age_prev; /* list of open orders, newest first; or of closed ones, longest closed first   */
    uint32_t age_next;

    /* line 2 */
    i128_t   px_qty;      /* sum of px * qty over booked fills: exact; AvgPx (6) = px_qty / cum_qty        */
    uint64_t order_id_hi; /* 37: the venue's, 0 until it is known                                         */
    uint64_t order_id_lo;
    uint64_t corr_hi;
    uint64_t corr_lo;
    int64_t  asked_mono_ns;  /* when the venue was last asked about it; 0 = never                          */
    int64_t  cancel_mono_ns; /* when a cancel went out last; 0 = none                                      */
} order_t;

_Static_assert(sizeof(order_t) == 192, "three lines, no padding: the arena is hashed as bytes");

/* what of an order counts in risk. All zero when nothing does. */
typedef struct order_part {
    int64_t qty;   /* leaves, or max(old, new) leaves while a replace is under way; and any gap               */
    int64_t px_lo; /* it is valued at the worse end of px_lo .. px_hi: which end that is depends on the kind  */
    int64_t px_hi; /* of the instrument                                                                       */
    uint8_t side;
    uint8_t counts; /* 1: not known to be dead */
    uint8_t position_effect;
    uint8_t reserved[5];
} order_part_t;

typedef struct order_effect { /* what a report did; everything that risk, portfolio and output records need */
    uint32_t row;             /* ORDER_NONE: no order of ours */
    uint32_t alarms;          /* bit 1 << alarm_kind_t        */
    uint32_t account_id;      /* of order or booking      */
    uint32_t strategy_id;
    uint32_t instrument_id;
    uint8_t  status_before; /* ord_status; NONE without an order */
    uint8_t  status_after;
    uint8_t  booked;    /* 1: book qty at px now (a bust books the opposite of its fill, fee given back) */
    uint8_t  duplicate; /* 1: an execution, bust or correction that was already booked; nothing changed  */
    uint8_t  corrected; /* 1: booked, and first the fill undone_* is taken back: position moves by qty - undone_qty */
    uint8_t  position_effect; /* 77: of the order that took the fill; NONE without one */
    uint8_t  repeated;        /* 1: an answer to a request that was heard before; nothing changed */
    uint8_t  reserved[5];
    int64_t  qty; /* signed: buys are positive */
    int64_t  px;
    int64_t  fee;
    int64_t  undone_qty; /* corrected: the fill as it was booked, signed */
    int64_t  undone_px;
    int64_t  undone_fee;
    order_part_t before; /* exposure of the order before and after */
    order_part_t after;
} order_effect_t;

typedef struct order_table order_table_t; /* lies in the arena */

/* Life cycle. order_footprint: 0 and a sentence when cfg is out of range. order_new: formats footprint bytes at mem
 * (aligned to order_align()); NULL and a sentence on a bad cfg. order_join: NULL and a sentence when no table lies
 * there; works on any copy of the bytes. */
size_t         order_align(void);
size_t         order_footprint(const order_cfg_t *cfg);
void          *order_new(void *mem, const order_cfg_t *cfg);
order_table_t *order_join(void *mem);

/* order_overdue: an open order that has waited for the venue's answer for longer than cfg.answer_ns, *waited_ns for how
 * long; ORDER_NONE when no further one is. Each is told once for each silence. Call with every TICK, until NONE: the time
 * of all waiting is the newest one given here. O(1) */
uint32_t order_overdue(order_table_t *table, now_t now, int64_t *waited_ns);
int64_t  order_answer_ns(const order_table_t *table); /* cfg.answer_ns */

/* order_room: can one more order be opened? false only when every row holds an open order. */
bool order_room(const order_table_t *table);

/* order_open: enter a NEW that risk let pass, before it is sent: PENDING_NEW.
 *   req       as sent; ids within the cfg, cl_ord_id never used before; px is the price that goes to the venue
 *   px_value  risk_out_t.px_value
 * Returns the row. Needs order_room(). O(log of the open orders of the instrument and side), expected */
uint32_t order_open(order_table_t *table, const order_req_t *req, int64_t px_value);

/* order_cancel_sent, order_replace_sent: a request that risk let pass goes out. The order must be open.
 * order_part_replaced: what order_part will say after order_replace_sent with the same figures. */
void order_cancel_sent(order_table_t *table, uint32_t row, now_t now);
void order_replace_sent(order_table_t *table, uint32_t row, int64_t px, int64_t px_value, int64_t order_qty);
void order_part_replaced(const order_t *order, int64_t px, int64_t px_value, int64_t order_qty, order_part_t *part);

/* order_ask: the venue is to be asked about an open order (nothing happens to a closed one). order_asked: the question
 * went out; any ORDER_STATUS answers it. order_unknown: what was sent for this open order may never be answered:
 * UNKNOWN, without a report. order_waits: is its state not known, or a question about it without an answer? O(1), each.
 */
void order_ask(order_table_t *table, uint32_t row);
void order_asked(order_table_t *table, uint32_t row, now_t now);
void order_unknown(order_table_t *table, uint32_t row);
bool order_waits(const order_t *order);

/* order_apply_exec: fold one report into the table and say what it did.
 *   ins   the instrument of the report, or of its order when the report names none; NULL = unknown: no fill is booked
 * By exec_type:
 *   NEW            the venue has it. cum_qty is not read: fills come as TRADE
 *   TRADE          books last_qty at last_px. Alarms: BAD_FILL, UNKNOWN_ORDER_FILL, SIDE_MISMATCH (booked as reported,
 *                  order untouched), FILL_AFTER_DONE (closed without being filled, and no gap waits for it), OVERFILL,
 *                  BAD_FILL_PRICE, WORSE_THAN_LIMIT, FILL_GAP + QUERY_SENT (cum_qty above our sum: the adapter must
 *                  query), CUM_BACKWARDS (below, and no gap explains it)
 *   TRADE_CANCEL   books the opposite of the fill with that exec_id: BUST; UNKNOWN_EXEC when there is none. Quantity
 *                  that was busted does not come back to leaves. effect.row is the order that took the fill
 *   TRADE_CORRECT  last_px, last_qty and fee are what the fill with that exec_id should have been (EXEC_FEE_UNKNOWN: the
 *                  fee stays): one effect, the wrong fill back and the right one in. Here leaves follow: the venue says
 *                  what it traded. UNKNOWN_EXEC when there is no such fill, or it was busted; BAD_FILL on the other side
 *   CANCELED       closes; UNSOLICITED_CANCEL when nobody asked, unless the order is IOC, FOK, OPG or ATC or was UNKNOWN
 *   EXPIRED, REJECTED, UNSENT   close; UNSENT as REJECTED. A cum_qty above our sum leaves a gap: FILL_GAP + QUERY_SENT
 *   DONE_FOR_DAY   closes an order that lives for one day; GTC and GTD stay, and count, until they work or end
 *   REPLACED       order_qty and px of the report are in force (0 = not said: the most eager that we asked for), unless
 *                  the venue's time ts_event_ns says that its newest word on them is another one. It answers a request
 *                  of ours when what it says lies within what we asked for; until each has its answer, the worst of all
 *                  that was asked counts
 *   RESTATED       likewise without a request of ours (0 = as it was); WORSE_THAN_LIMIT when px is beyond our limit.
 *                  ord_status SUSPENDED: the venue holds it back
 *   TRIGGERED      its stop price was reached
 *   CANCEL_REJECT, REPLACE_REJECT   the request is off, the order goes on
 *                  An answer, REPLACED too, whose exec id is one of the order's six newest answers is `repeated`; one
 *                  without an exec id never is
 *   TIMEOUT        UNKNOWN; still counted in full
 *   ORDER_STATUS   the answer to a query, by ord_status: open or closed as it says; cum_qty is believed (a gap without
 *                  alarm: the fills are being fetched; CUM_BACKWARDS when a closed order has less than we booked); for an
 *                  UNKNOWN order it also settles the cancels and, if it names order_qty and px, replaces under way.
 *                  NONE = not found: the order is UNKNOWN, and the second in a row for an order that the venue never
 *                  showed closes it as REJECTED. The adapter spaces queries by more than the venue's receive window
 * A report of no order of ours, but TRADE, TRADE_CANCEL and TRADE_CORRECT, is ALIEN_ORDER; with ACCOUNT_UNRECONCILED
 * when it may be working. An exec_type that is none of these changes nothing: UNKNOWN_EXEC.
 * Cost O(1), plus the tree of order_open when a price changes */
void order_apply_exec(order_table_t *table, const exec_report_t *report, const instrument_t *ins,
                      order_effect_t *effect);

/* Reading. order_find: row of a ClOrdID or ORDER_NONE, O(1). order_at: any row that a call here gave out. */
uint32_t       order_find(const order_table_t *table, uint64_t cl_ord_id);
const order_t *order_at(const order_table_t *table, uint32_t row);
void           order_part(const order_t *order, order_part_t *part);
int64_t        order_leaves(const order_t *order); /* 151: 0 when closed */
int64_t        order_gap(const order_t *order);
bool           order_is_open(const order_t *order); /* may still trade at the venue */

/* Open orders, and closed ones with a gap, newest first; of one instrument and side, best (most eager) price first,
 * counting replaces under way. Each gives ORDER_NONE at the end. A row that closes leaves its lists: take the next
 * one first. */
uint32_t order_first(const order_table_t *table);
uint32_t order_next(const order_table_t *table, uint32_t row);
uint32_t order_side_first(const order_table_t *table, uint32_t instrument_id, side_t side);
uint32_t order_side_next(const order_table_t *table, uint32_t row);
int64_t  order_eager_px(const order_t *order);         /* highest limit of a buy, lowest of a sell */
uint32_t order_open_count(const order_table_t *table); /* rows in order_first's list */
uint32_t order_rows(const order_table_t *table);       /* rows ever opened: order_at takes 0 .. order_rows() - 1 */

/* Walks over order_first's list that go on over other calls: order_walk_begin puts walk 0 .. ORDER_WALKS_MAX - 1 at the
 * newest order; order_walk gives the next one, ORDER_NONE when it is over. What leaves the list meanwhile is passed over, what
 * is opened meanwhile is not in it. O(1) */
void     order_walk_begin(order_table_t *table, uint32_t walk);
uint32_t order_walk(order_table_t *table, uint32_t walk);

/* order_hash: the whole table, O(footprint). */
uint64_t order_hash(uint64_t hash, const order_table_t *table);
