/* publish: what the engine shows to everyone: its outputs in ev, and the newest state of what an input touched in the
 * record arrays. Called after the requests of the input are in ord; readers cost nothing (broadcast, sequence locks).
 *
 * ev       every output, POSITION and ALARM too; topic = instrument, tenant = whose it is (0 = everybody's).
 * Records  by record_id_t (ipc/topology.h), each the table of its message:
 *          INSTRUMENTS  at its definition
 *          BOOKS        after the LAST part of an update, a TOP, or a change of health; BOOK_UPDATE as a SNAPSHOT with the
 *                       best 20 a side; rpt_seq is the engine sequence
 *          FEEDS        when health or reason changed; ts_recv_ns of that input
 *          TRADES       each
 *          STATISTICS   with each trade, at the instrument's definition, and on a TICK when the day is another one
 *          ORDERS       each order that a VERDICT, ORDER_REQUEST or EXEC_REPORT names; after BOOT all
 *          POSITIONS    after each booked fill; on a TICK all that were ever booked
 *          ACCOUNTS     after each booked fill, on a TICK, after CONTROL, ACCOUNT_DEF and MASS_STATUS
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

typedef struct publish {
    const engine_t  *engine;
    ring_writer_t    ev;
    records_writer_t records[RECORD_ID_COUNT];
    uint16_t         feed_shown[TOPOLOGY_INSTRUMENTS_MAX + 1]; /* health and reason as published last */
    publish_book_t   book_shown[TOPOLOGY_INSTRUMENTS_MAX + 1];
    int64_t          day_shown[TOPOLOGY_INSTRUMENTS_MAX + 1]; /* day of the statistics as published last */
} publish_t;

/* publish_join: ev and the records in the engine's own segment. ERR_NOT_FOUND or ERR_PARSE names the object. */
err_t publish_join(publish_t *publish, const engine_t *engine, const segment_t *own);

/* publish_topic: of an output: its instrument, 0 = none. */
uint32_t publish_topic(msg_type_t type, const void *body);

/* publish_input: what one input did. in: as applied; out: what it caused; ts_utc_ns: its time. */
void publish_input(publish_t *publish, const msg_t *in, const engine_out_t *out, int64_t ts_utc_ns);

/* publish_all: every record. */
void publish_all(publish_t *publish, int64_t ts_utc_ns);
