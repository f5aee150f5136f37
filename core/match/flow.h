/* flow: a venue with a generated market: up to eight instruments, each a clob fed by seeded synthetic orders, in which
 * orders of ours stand in the same queues, and which tells the world as a venue does: book diffs, trades, best quotes.
 *
 *             flow_due_ns
 *                 │                       ┌────────────────────────────┐
 *   flow_step ────┴─▶ synthetic order ───▶│ clob of the instrument     │──▶ exec reports (ours) in exec_out_t
 *   flow_request ───▶ order of ours   ───▶│ one queue, price-time      │──▶ market data: flow_md_next until false
 *                                         └────────────────────────────┘
 *
 * The market   A fair price walks by single ticks and is pulled back to where it began; synthetic limit orders stand at
 *   geometric distances around it, so that a walk of the fair price makes some of them cross and trade; market orders
 *   (IOC) come from either side; cancels hit a live order at random. Cancels take the place of additions as the number
 *   of live orders nears its maximum, so depth is steady. Times between events are uniform with a given mean.
 * What it gets wrong   There is no information in it: no trend, no clustering of arrivals, no reaction of others to our
 *   orders but by the queue itself. It shows that code works, not that a strategy earns.
 *
 * Messages   an instrument begins with a SNAPSHOT (parts of up to 64 levels, FIRST and LAST flagged). After that each
 *   event, ours or synthetic, gives in this order: a TRADE for each match (aggressor named, trade_id from 1), one
 *   BOOK_UPDATE with the absolute quantities of the levels it changed, one TOP when a best price or quantity changed.
 *   rpt_seq counts parts, venue_seq messages, both from 1 per instrument and consecutive.
 * Determinism   integers only (xoshiro256**, seeded by splitmix64); the same cfg and the same calls give the same
 *   bytes, with every compiler. Events of the same nanosecond come in order of instruments.
 * Reports    see own.h. An order of ours that meets another one of ours fills both.
 * Owner      one thread; memory is one block of the caller's without pointers: its bytes are its snapshot. The views
 *            that flow_md_next gives point into it and hold until the next flow_step or flow_request.
 * Time       ts_ns is the venue's clock (UTC ns); ts_event_ns of messages; ts_recv_ns is the same (the caller may add
 *            its latency). Never goes back: ERR_STATE. */
#pragma once

#include "core/match/own.h"

#define FLOW_INSTRUMENTS 8u
#define FLOW_FILLS_MAX 256u   /* an order of ours that would match more resting orders is rejected */
#define FLOW_ORDERS_MAX 1024u /* live synthetic orders of one instrument */
#define FLOW_REPORTS_MAX (2 * FLOW_FILLS_MAX + 2) /* that one call gives at most: the room it asks for */

typedef struct flow_cfg {
    uint64_t  seed;
    uint64_t  session;          /* high half of ExecIDs and OrderIDs (own.h)             */
    int64_t   start_ns;         /* time of the snapshots                                 */
    int64_t   gap_mean_ns;      /* between two events of one instrument; 1 us .. 1 h     */
    uint32_t  instrument_count; /* 1..FLOW_INSTRUMENTS: the first ones of the table      */
    uint32_t  own_max;          /* our open orders in all instruments, 1..16384          */
    uint16_t  venue_id;         /* in the definitions                                    */
    uint16_t  reserved[3];
    fee_cfg_t fee;
} flow_cfg_t;

typedef struct flow flow_t;

/* Life. footprint: 0 and a sentence when cfg is out of range; new: NULL likewise. */
size_t  flow_align(void);
size_t  flow_footprint(const flow_cfg_t *cfg);
flow_t *flow_new(void *mem, const flow_cfg_t *cfg);

/* flow_instrument: definition of instrument index 0..instrument_count-1: SPOT, LINEAR and INVERSE of several scales,
 * one with banded ticks. Its def.instrument_id is what messages and orders carry: index + 1. */
const instrument_t *flow_instrument(const flow_t *flow, uint32_t index);

/* flow_due_ns: when the next synthetic event is due. */
int64_t flow_due_ns(const flow_t *flow);

/* flow_step: one synthetic event, the earliest, when it is due at until_ns.
 * Returns ERR_OK; ERR_EMPTY nothing due; ERR_STATE market data of the last event was not fetched to its end, or time
 *         went back; ERR_FULL less than FLOW_REPORTS_MAX room in out. Nothing changed then. */
err_t flow_step(flow_t *flow, int64_t until_ns, exec_out_t *out);

/* flow_request: a NEW, REPLACE or CANCEL of ours arrives. What is wrong with the order is a report, not an error.
 * ts_ns    at most flow_due_ns(): what is due before it is stepped first; in one nanosecond we may go before the market
 *          or after it, as the caller decides. The snapshots of start_ns come before everything.
 * Returns as flow_step, without ERR_EMPTY; ERR_STATE also when events are due. */
err_t flow_request(flow_t *flow, const order_req_t *req, int64_t ts_ns, exec_out_t *out);

/* flow_snapshot: market data of instrument index 0..instrument_count-1 as if it began now: a SNAPSHOT of the whole book
 * (rpt_seq goes on, venue_seq stays that of the newest book message) and its TOP; flow_md_next gives them.
 * ERR_STATE (sentence) before the snapshot of start_ns, or when market data was not fetched to its end. */
err_t flow_snapshot(flow_t *flow, uint32_t index);

/* flow_resume: the market stood still until ts_ns: synthetic events due before then are put off, all by the same time,
 * so that the earliest is due at ts_ns. Nothing when none is. */
void flow_resume(flow_t *flow, int64_t ts_ns);

/* flow_pace: mean time between two events of one instrument, in the limits of the cfg (nearest), from the next event on. */
void flow_pace(flow_t *flow, int64_t gap_mean_ns);

/* flow_orders: our open orders, to be read. flow_now_ns: time of the newest event. */
const own_t *flow_orders(const flow_t *flow);
int64_t      flow_now_ns(const flow_t *flow);

/* flow_md_next: the next market data message of the last event, oldest first; false when there is none left. */
bool flow_md_next(flow_t *flow, msg_t *msg);
