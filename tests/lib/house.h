/* house: an instance in one process, for tests: the engine's life as tools/engine_role.c lives it, on real segments and
 * real journal files, with the roles around it played by plain calls.
 *
 *   flow (generated market and venue) ── md, exec ──▶ engine_open, engine_begin, engine_turn ── ord ──▶ flow
 *                                                            └── jrn ──▶ house_journal: a journal file
 *
 * The venue answers questions from what it did itself, so that a new life reconciles. A life ends by house_crash: what
 * the engine held in memory is gone, its segment stays. Any failure of set-up ends the program: it is a test. */
#pragma once

#include "core/match/flow.h"
#include "ipc/lane.h"
#include "tools/engine_role.h"

#define HOUSE_TAKEN_MAX 65536u
#define HOUSE_ORDERS 65536u /* a power of two */
#define HOUSE_LANE_SLOTS 256u
#define HOUSE_KEEPER_ORDERS 12 /* a second */
#define HOUSE_JOURNAL_BYTES (96u << 20)

typedef struct house_order { /* as the venue knows it */
    order_req_t req;
    int64_t     cum_qty;
    uint8_t     status; /* ord_status_t */
} house_order_t;

typedef struct house {
    char           dir[96]; /* journal and snapshots; the segments lie in <dir>/shm */
    config_t      *config;
    config_lanes_t configured; /* instead of which it has its own */
    journal_id_t   id;
    int            dir_fd;
    words_t       *words;
    engine_role_t *e;
    role_ctx_t    *ctx;
    uint32_t       gen;
    uint32_t       epoch;
    segment_t      sim, sim_before, journal, engine_before;

    int               snapshot_fd, journal_fd;
    int               newer_fd; /* one more snapshot that the engine is given; 0 = none */
    journal_pos_t     pos;
    uint8_t          *block;
    lossless_reader_t jrn;

    flow_t           *flow;
    exec_report_t    *report_mem;
    exec_out_t        reports;
    ring_writer_t     md;
    lossless_writer_t exec;
    lossless_reader_t ord;
    uint64_t          taken[HOUSE_TAKEN_MAX]; /* ids of requests that reached the venue, in order */
    uint32_t          taken_count;
    uint32_t          refused; /* published in a life that ended, never sent (e) */
    uint64_t          md_messages, exec_messages;
    uint64_t          leases;
    house_order_t    *orders;
    int64_t           position[17][FLOW_INSTRUMENTS + 1];
} house_t;

house_t *house_open(uint64_t seed);
void     house_close(house_t *h);

/* house_boot: a new life of the engine: ERR of engine_open or engine_begin. orders_known false: as after a power loss.
 * house_crash: it is gone; what it committed is put on file, as the supervisor waits for. */
err_t house_boot(house_t *h, bool orders_known);
void  house_crash(house_t *h);

/* house_sim_restart: the adapter dies and begins a new life, while the engine lives or between two of its lives; the
 * venue behind it goes on. */
void house_sim_restart(house_t *h);

/* house_market: n events of the market into md and exec. house_venue: take everything from ord.
 * house_journal: everything in jrn on file. house_pump: n rounds of market, turn, venue, and the journal now and then. */
void house_market(house_t *h, uint32_t n);
void house_venue(house_t *h);
void house_journal(house_t *h);
void house_pump(house_t *h, uint32_t n);

/* house_turn: one turn of the engine. house_trades: no account is kept from trading (151 and the like). */
uint32_t house_turn(house_t *h);
bool     house_trades(const house_t *h);

/* house_lease: the lane of a client of the house (1 desk: all rights, cancel; 2 keeper: all rights, keep; 3 quiz: may only
 * ask) as the supervisor would give it: ERR of lane_join, which is ERR_STATE when the engine refused. */
enum { HOUSE_DESK = 1, HOUSE_KEEPER, HOUSE_QUIZ };
err_t house_lease(house_t *h, uint32_t lane_id, lane_client_t *client);

/* house_put: a message into md or exec. */
void house_md(house_t *h, const msg_t *msg);
void house_exec(house_t *h, const msg_t *msg);

/* house_reference: state hash of an engine that was given the snapshot and every input on file, and nothing else. */
uint64_t house_reference(house_t *h, uint64_t *sequence);
