/* publish: what the engine shows to everyone: its outputs in ev, and the newest state of what an input touched in the
 * record arrays. Called after the requests of the input are in ord; readers cost nothing (broadcast, sequence locks).
 *
 * ev       every output, POSITION and ALARM too; topic = instrument, tenant = whose it is (0 = everybody's).
 * Records  by record_id_t (ipc/topology.h), each the table of its message:
 *          INSTRUMENTS  at its definition
 *          BOOKS        after the LAST part of an update, a TOP, or a change of health; BOOK_UPDATE as a SNAPSHOT with the
 *                       best 20 a side; rpt_seq is the engine sequence
 *          FEEDS        when health or reason changed, and in turn on a TICK; ts_recv_ns of that input
 *          TRADES       each
 *          STATISTICS   with each trade, at the instrument's definition, and in turn on a TICK when the day is another one
 *          ORDERS       each order that a VERDICT, ORDER_REQUEST or EXEC_REPORT names; after BOOT all
 *          POSITIONS    after each booked fill; in turn on a TICK, of those that were ever booked
 *          ACCOUNTS     after each booked fill; in turn on a TICK and after CONTROL; those that CONTROL, ACCOUNT_DEF and
 *                       MASS_STATUS name
 *          HELD         each that a VERDICT or a report names, or an order that left for it; in turn on a TICK (a stop may
 *                       have followed the market)
 *          BALANCES     of an account after each booked fill and each movement of its money; in turn on a TICK
 *          SUB_POSITIONS  in turn on a TICK
 *          ALERTS       all after an ALERT
 *          VENUES       at VENUE_DEF
 *          in turn: PUBLISH_TURN of a kind each time, so that an input costs the same however many there are
 *          event_seq is the sequence of the input in all that have one. publish_all: everything, after recovery.
 * Cost     a book ~0.15 us when a level that it shows may have changed and ~20 ns when not, the others ~30 ns each. No
 *          allocation, no system call. Nothing is believed that stands in the shared memory. Threads: the engine's. */
#pragma once

#include "core/engine/engine.h"
#include "ipc/counters.h"
#include "ipc/records.h"
#include "ipc/ring_broadcast.h"
#include "ipc/segment.h"
#include "ipc/topology.h"

typedef struct publish_book { /* what a book's record shows */
    int64_t  bid_px;          /* of the last level shown; INT64_MIN: fewer than could be */
    int64_t  ask_px;          /* INT64_MAX likewise */
    uint16_t bid_count;
    uint16_t ask_count;
    bool     same; /* and no level that it shows changed since */
} publish_book_t;

#define PUBLISH_POSITIONS_MAX RECORDS_COUNT_MAX
#define PUBLISH_TURN 64u /* of a kind that each TICK publishes anew, in turn */

typedef struct publish {
    const engine_t  *engine;
    ring_writer_t    ev;
    records_writer_t records[RECORD_ID_COUNT];
    uint32_t         instruments; /* the engine's room: places of a row of positions */
    uint32_t         feed_turn;   /* whose turn it is with the next TICK: instrument, account, place of a position */
    uint32_t         account_turn;
    uint32_t         position_turn;
    uint32_t         held_turn; /* rows */
    uint32_t         balance_turn;
    uint32_t         part_turn;
    uint16_t         feed_shown[ENGINE_INSTRUMENTS_MAX + 1]; /* health and reason as published last */
    publish_book_t   book_shown[ENGINE_INSTRUMENTS_MAX + 1];
    int64_t          day_shown[ENGINE_INSTRUMENTS_MAX + 1];      /* day of the statistics as published last */
    uint64_t         position_shown[PUBLISH_POSITIONS_MAX / 64]; /* bit place: there is one */
} publish_t;

/* publish_join: ev and the records in the engine's own segment. ERR_NOT_FOUND or ERR_PARSE names the object. */
err_t publish_join(publish_t *publish, const engine_t *engine, const segment_t *own);

/* publish_topic: of an output: its instrument, 0 = none. */
uint32_t publish_topic(msg_type_t type, const void *body);

/* publish_input: what one input did. in: as applied; out: what it caused; ts_utc_ns: its time. */
void publish_input(publish_t *publish, const msg_t *in, const engine_out_t *out, int64_t ts_utc_ns);

/* publish_all: every record. */
void publish_all(publish_t *publish, int64_t ts_utc_ns);
