/* topology: which role joins which through what. One table of roles, one of rings; everything that creates, opens, draws
 * or lists them comes here.
 *
 *                      md.sim (broadcast)                     jrn (lossless)
 *   venue ◀═socket═▶ sim ───────────────▶ engine ─────────────────────────▶ journal ─▶ files
 *                      exec.sim (lossless)    │ ev (broadcast) ─▶ anyone
 *   capture files ─▶ capture ── md.capture ──▶│ records: instruments, books, feeds, trades, orders, positions, accounts,
 *                                           │          statistics, held, balances, sub_positions, alerts, venues
 *                      ◀── ord.sim (lossless) ┘
 *
 * sim       adapter of the simulated venue: market data (generated market) and orders
 * venue     the simulated venue, a process of its own that outlives its adapter: generated market, or matching against
 *           md.capture
 * capture   recorded market data, paced; its instruments' orders go to sim
 *
 * Segments  one for each role: <role>.<gen>; `words` for all. Objects of every segment: "control", "counters", "log",
 *           "cursors" (ring_cursor_t by ring_id_t: how far this role is in each ring it reads, broadcast ones for
 *           monitors only). Of the writer of a ring also the ring, under its short name ("md", "exec", "ord.sim", "jrn",
 *           "ev"). Of the engine also "clock" (engine_clock_t), "lanes" (lanes_page_t), the records (by
 *           topology_record_name) and the histograms "event", "decide" and "lane" (ns, from the taking of a client's
 *           request until its answer was out); of sim "taken" (ns from the receipt of the message that gave a signal until
 *           its new order was taken from ord); of the journal "durable" (one ring_cursor_t: number of the last journal
 *           record that is on the disk for good); of the supervisor "roles"; of the venue "state".
 * Counts    of a record array: those of the configuration (engine.instruments_max, accounts_max, orders_max); positions are
 *           accounts times instruments. A reader takes them from the array's head.
 * ord       topic of an ord message is the low 32 bits of the journal record number of its batch's last record, so that
 *           an adapter can hold it back until that is durable (durability: power). */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "core/engine/engine.h"
#include "core/types/msg.h"
#include "ipc/segment.h"
#include "ipc/settings.h"

typedef enum role {
    ROLE_SUPERVISOR = 0,
    ROLE_ENGINE     = 1,
    ROLE_JOURNAL    = 2,
    ROLE_SIM        = 3,
    ROLE_VENUE      = 4,
    ROLE_CAPTURE    = 5,
    ROLE_COUNT      = 6
} role_t;

typedef enum ring_id {
    RING_ID_MD_SIM = 0,
    RING_ID_EXEC_SIM,
    RING_ID_ORD_SIM,
    RING_ID_MD_CAPTURE,
    RING_ID_EXEC_CAPTURE,
    RING_ID_JRN,
    RING_ID_EV,
    RING_ID_COUNT
} ring_id_t;

typedef struct ring_row {
    const char    *name;   /* "md.sim": for people              */
    const char    *object; /* in the writer's segment           */
    segment_kind_t kind;   /* SEGMENT_BROADCAST or _LOSSLESS    */
    role_t         writer;
    role_t         reader; /* of a lossless ring; of a broadcast one the reader that decides */
    uint32_t       stride;
} ring_row_t;

typedef enum record_id {                            /* record arrays in the engine's segment; index of a place */
                         RECORD_ID_INSTRUMENTS = 0, /* INSTRUMENT_DEF  id - 1                                    */
                         RECORD_ID_BOOKS,           /* BOOK_UPDATE     id - 1: top 20 of each side as a SNAPSHOT */
                         RECORD_ID_FEEDS,           /* FEED_STATE      id - 1                                    */
                         RECORD_ID_TRADES,          /* TRADE           id - 1: the last one                      */
                         RECORD_ID_ORDERS,          /* ORDER           row of the order table                    */
                         RECORD_ID_POSITIONS,       /* POSITION        (account - 1) * instruments_max + id - 1  */
                         RECORD_ID_ACCOUNTS,        /* ACCOUNT         account - 1                               */
                         RECORD_ID_STATISTICS,      /* STATISTICS      id - 1: the trading day so far            */
                         RECORD_ID_HELD,            /* HELD_ORDER      row of the table of held orders           */
                         RECORD_ID_BALANCES,        /* BALANCE         row of the ledger                         */
                         RECORD_ID_SUB_POSITIONS,   /* SUB_POSITION    row of the portfolio's parts              */
                         RECORD_ID_ALERTS,          /* ALERT           place in the engine's list                */
                         RECORD_ID_VENUES,          /* VENUE_DEF       venue id - 1: what it said that it knows  */
                         RECORD_ID_COUNT
} record_id_t;

#define TOPOLOGY_BOOK_LEVELS 20u         /* of each side in a published book */
#define TOPOLOGY_SUB_POSITIONS_MAX 4096u /* rows published; those behind are not */

typedef struct engine_clock {       /* object "clock" of the engine's segment, SEGMENT_BLOB; written before RUN */
    _Atomic int64_t mono_offset_ns; /* engine time (created_mono_ns of orders) = CLOCK_MONOTONIC + this */
    uint8_t         pad[120];
} engine_clock_t;

/* Object "lanes" of the engine's segment, SEGMENT_BLOB: every lane as it stands or stood last in this life of the engine,
 * at lane_id - 1; state LANE_NONE = not leased in this life. To change one the engine stores NONE, then the rest, then
 * the state with release. */
typedef struct lanes_page {
    lane_t           lanes[ENGINE_LANES_MAX];
    _Atomic uint64_t requests[ENGINE_LANES_MAX];  /* taken from the newest lease of each */
    char             names[ENGINE_LANES_MAX][32]; /* of the clients; "" = no such client; written before RUN */
} lanes_page_t;

_Static_assert(sizeof(lanes_page_t) == 1536, "mapped by others: bump SEGMENT_VERSION");

/* lanes_page_show: the engine: lane (its lane_id says which) is this now. lanes_page_read: anyone: one whole, as it was
 * at one moment; false: it has not been leased (or lane_id is none), or is being changed. */
void lanes_page_show(lanes_page_t *page, const lane_t *lane);
bool lanes_page_read(const lanes_page_t *page, uint32_t lane_id, lane_t *out);

const ring_row_t *topology_ring(ring_id_t id);
const char       *topology_role_name(role_t role);
const char       *topology_record_name(record_id_t id); /* "instruments" ... */

/* topology_runs: does this role run under this configuration? (capture only when the market is one) */
bool topology_runs(role_t role, const config_t *config);

/* topology_ring_slots: by configuration. */
uint32_t topology_ring_slots(ring_id_t id, const config_t *config);

/* topology_segment: create a role's segment with all its objects formatted, not yet published. topology_bytes: what it
 * takes; the sum over all roles is the instance's shared memory. blob_bytes: of the venue's "state". */
size_t topology_bytes(role_t role, const config_t *config, size_t blob_bytes);
err_t topology_segment(role_t role, const config_t *config, size_t blob_bytes, int dir_fd, uint32_t epoch, uint32_t gen,
                       segment_t *out);
