/* own: our side of a simulated venue: the table of our open orders, the checks a venue makes at its door, its fees and
 * its execution reports. Both venues (sim_venue: recorded market, flow: generated market) are built on it, so that an
 * order meets the same rules and reads the same reports in both.
 *
 *   NEW ──▶ own_check_new ──code──▶ own_report_reject                REJECTED, no row
 *              │ 0
 *              ▼
 *           own_open ─▶ NEW ─▶ own_fill ... ─▶ TRADE (the last one closes the row)
 *                                own_close  ─▶ CANCELED | EXPIRED
 *                                own_replaced ─▶ REPLACED
 *
 * Identity   an order is named by the ClOrdID of its NEW for all of its life: REPLACE and CANCEL have ids of their own,
 *            which name the request; every report about the order, also the reject of a replace or cancel, carries the
 *            order's first ClOrdID.
 * Ids        ExecID = {session, n}, OrderID = {session, m}; n and m count from 1. The same inputs give the same ids; a
 *            new session number (the caller's, for example its epoch) gives ids that never were.
 * Fees       fee.h: by tier and volume, each fill rounded by itself, against us, as venues do.
 * Output     reports are appended to a caller's array. A call that needs more room than there is answers ERR_FULL and
 *            changes nothing (each venue counts its reports before it acts): drain the array and call again.
 * Memory     one block of the caller's; no pointers: its bytes are its snapshot. Rows are recycled last in, first out.
 * Threads    one. No clock: ts_ns is the venue's time and comes with each call (ts_event_ns of reports; ts_recv_ns is
 *            left 0 for whoever carries the report home).
 * Not here   REDUCE_ONLY is the work of our risk gate: these venues keep no positions and treat such an order as any
 *            other. DAY is GTC: no sessions end here. STP: two orders of ours may meet (sim_venue says what then).
 * Source     FIX 4.4: ExecutionReport, OrdRejReason (103), CxlRejReason (102). */
#pragma once

#include "core/match/id_map.h"
#include "core/ref/fee.h"
#include "core/ref/instrument.h"
#include "core/types/err.h"
#include "core/types/msg.h"

#define OWN_NONE UINT32_MAX
#define OWN_ROWS_MAX 65536u

typedef enum venue_reject { /* reject_code of reports: numbers of FIX 103 where there is one, from 1000 ours */
                            VENUE_REJECT_NONE           = 0,
                            VENUE_REJECT_UNKNOWN_SYMBOL = 1,
                            VENUE_REJECT_CLOSED = 2, /* recorded market: nothing to match against; matcher: its phase */
                            VENUE_REJECT_LIMIT = 3, /* matcher: the owner's position could go beyond what it can hold */
                            VENUE_REJECT_TOO_LATE = 4, /* matcher: expires before it comes */
                            VENUE_REJECT_UNKNOWN_ORDER =
                                5, /* the target is not open: never was, or too late: filled, expired */
                            VENUE_REJECT_DUPLICATE = 6, /* an open order has this ClOrdID */
                            VENUE_REJECT_UNSUPPORTED =
                                11,                /* side, type, time in force or a combination that is not known    */
                            VENUE_REJECT_QTY = 13, /* not positive, below the minimum, off the lot, not above CumQty  */
                            VENUE_REJECT_ACCOUNT = 15, /* matcher: an owner that it has no room for */
                            VENUE_REJECT_PX_BAND = 16, /* outside of the price band, or not positive where it must be */
                            VENUE_REJECT_PX_TICK = 18,
                            VENUE_REJECT_NOTIONAL    = 1000, /* below the minimum, or beyond an int64 */
                            VENUE_REJECT_POST_ONLY   = 1001, /* would have taken */
                            VENUE_REJECT_OVERLOAD    = 1002, /* all rows are taken: the venue's limit of open orders */
                            VENUE_REJECT_FILLS       = 1003, /* would sweep more than fills_max levels or orders  */
                            VENUE_REJECT_REDUCE_ONLY = 1004, /* matcher: there is no position that it could reduce */
                            VENUE_REJECT_NO_LAST     = 1005  /* matcher: a trail from a last price that is not there */
} venue_reject_t;

typedef struct exec_out { /* the caller's: count goes up, never beyond cap */
    exec_report_t *reports;
    uint32_t       cap;
    uint32_t       count;
} exec_out_t;

typedef struct own_order { /* a row; req.px and req.qty as last replaced */
    order_req_t req;
    uint64_t    order_id;
    int64_t     cum_qty;
    fee_order_t fee;
    int64_t     ahead_qty;  /* sim_venue: recorded quantity that stands before us at our price */
    int64_t     level_qty;  /* sim_venue: the whole level's when ahead_qty was judged last     */
    int64_t     traded_qty; /* sim_venue: what trades at our price told since then             */
    uint32_t    next;       /* sim_venue: neighbours in priority; also the list of free rows   */
    uint32_t    prev;
    uint32_t    open; /* 0 = free row */
    uint32_t    reserved;
} own_order_t;

typedef struct own { /* rows and map follow in the same block */
    uint64_t session;
    uint64_t exec_count;
    uint64_t order_count;
    uint32_t rows_max;
    uint32_t slot_count;
    uint32_t open_count;
    uint32_t free_head;
} own_t;

/* Life. rows_max: 1..OWN_ROWS_MAX open orders. footprint: 0 and a sentence when out of range; new: NULL likewise. */
size_t own_align(void);
size_t own_footprint(uint32_t rows_max);
own_t *own_new(void *mem, uint32_t rows_max, uint64_t session);

static inline own_order_t *own_rows(own_t *own)
{
    return (own_order_t *)(own + 1);
}
static inline uint32_t own_room(const exec_out_t *out)
{
    return out->cap - out->count;
}
static inline int64_t own_leaves(const own_order_t *order)
{
    return order->req.qty - order->cum_qty;
}

/* own_find: the row of an open order, OWN_NONE when there is none. O(1). own_at: that row. */
uint32_t                         own_find(const own_t *own, uint64_t cl_ord_id);
static inline const own_order_t *own_at(const own_t *own, uint32_t row)
{
    return (const own_order_t *)(own + 1) + row;
}

/* own_next: the next open order at or behind *row, which moves behind it; NULL at the end. Begin with *row = 0. The order
 * of rows says nothing. */
const own_order_t *own_next(const own_t *own, uint32_t *row);

/* own_check_new: what the door says to a NEW; 0 = welcome. ins NULL = unknown instrument. O(bands). */
venue_reject_t own_check_new(const own_t *own, const instrument_t *ins, const order_req_t *req);

/* own_check_replace: the same for a REPLACE of an open order: px and the new total quantity, which must be above what
 * is filled already (at or below it the replace came too late; the order goes on as it was). */
venue_reject_t own_check_replace(const instrument_t *ins, const own_order_t *order, const order_req_t *req);

/* own_order_id: the next OrderID; counted for orders of others in the same market too. */
uint64_t own_order_id(own_t *own);

/* own_open: a row for a checked NEW, and the report NEW. */
uint32_t own_open(own_t *own, const order_req_t *req, int64_t ts_ns, exec_out_t *out);

/* own_replaced: px and qty of the row become those of req; report REPLACED. Whose turn it is, is the venue's matter. */
void own_replaced(own_t *own, uint32_t row, const order_req_t *req, int64_t ts_ns, exec_out_t *out);

/* own_fill: qty at px against the row, 0 < qty <= leaves; report TRADE with its fee (of the instrument: fee_charge);
 * the row is closed when nothing is left. Returns true then. */
bool own_fill(own_t *own, uint32_t row, const instrument_t *ins, fee_t *fee, int64_t px, int64_t qty,
              liquidity_t liquidity, int64_t ts_ns, exec_out_t *out);

/* own_close: the rest is gone: CANCELED or EXPIRED; the row is free afterwards. */
void own_close(own_t *own, uint32_t row, exec_type_t exec_type, int64_t ts_ns, exec_out_t *out);

/* own_report_reject: REJECTED, CANCEL_REJECT or REPLACE_REJECT by req->action. The order lives on when it is open. */
void own_report_reject(own_t *own, const order_req_t *req, venue_reject_t code, int64_t ts_ns, exec_out_t *out);

/* own_hash: all fields of open rows and counters into a hash. */
uint64_t own_hash(uint64_t hash, own_t *own);
