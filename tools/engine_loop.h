/* engine_loop: one input after another through journal, engine and out again: what the engine's process does for ever.
 *
 *   md ring  ─ ring_read ──┐                         ┌▶ record 0: the input, its hash, its error
 *   exec ring ─ copy ──────┼▶ bytes in jrn slot 0 ─▶ engine_apply ─▶ records 1..n: outputs that money depends on
 *   own (tick, kill ...) ──┘   (message_read verifies)  │              │ lossless_commit(jrn, n + 1): in the journal
 *                                                       │              ▼
 *                                                       │   ord: its messages, all at once ─▶ ev ─▶ records ─▶ bells
 *
 * Batch    An input and its outputs become visible in jrn together, before any of its requests is in ord, and all of its
 *          requests become visible in ord together. So at any moment at most one batch is journaled and not sent: that is
 *          what recovery answers as never sent (tools/recover.h). An exec message is taken after its commit.
 * Room     Before an input there is room in jrn and in ord for the most that it can cause. Else the loop is blocked:
 *          state HALT (adapters cancel at once), nothing is read, until there is room again or the engine is fenced.
 * ord      under a quarter + ENGINE_TO_VENUE_MAX of room: CONTROL_RING_FULL 1 (158); above ENGINE_ORD_LIFT of it: 0.
 * jrn      from 50 % full, or with its role dead, silent or failed: CONTROL_JOURNAL 0 (154), until 25 %; from 75 %:
 *          market data suspended, books BROKEN/LOST, until 50 %; no room for a batch: blocked.
 * Adapter  a new life of it is read when the rings of the old one are read to their end; then its books are
 *          BROKEN/LOST and its venues' links are down until it says otherwise. What an adapter may say is a short list:
 *          engine_message_allowed; anything else, and what does not verify, is counted, logged and dropped.
 * Lanes    of clients: tools/engine_lanes.h. Between exec and market data; their requests are rung for before market data
 *          is read, so neither waits for the other.
 * Fence    words->fence_epoch above our epoch: engine_turn does nothing any more, and what is committed is not sent.
 * Time     now = both clocks, read once an input; mono is CLOCK_MONOTONIC + mono_offset_ns and never goes back.
 *
 * Memory   rings and pages of others are joined by the caller (plain memory in tests); nothing is allocated.
 * Threads  the engine's. No system call in a turn but the wake of a sleeper (journal, venue adapter, clients), and while
 *          lanes are open one look at each client's connection every ENGINE_LANE_LOOK_NS: the one that is left in spin. */
#pragma once

#include <stdbool.h>

#include "core/engine/engine.h"
#include "ipc/control.h"
#include "ipc/counters.h"
#include "ipc/histogram.h"
#include "ipc/log.h"
#include "ipc/ring_broadcast.h"
#include "ipc/ring_lossless.h"
#include "ipc/topology.h"
#include "ipc/words.h"
#include "tools/engine_lanes.h"
#include "tools/publish.h"
#include "tools/setup.h"

/* records of one input: itself, a verdict for each action, what goes to venues, an execution report */
#define ENGINE_BATCH_MAX (3u + ENGINE_ACTIONS_MAX + ENGINE_SWEEP_MAX + ENGINE_TO_VENUE_MAX)
#define ENGINE_JRN_SLOTS_MIN 8192u
#define ENGINE_ORD_SLOTS_MIN 4096u
#define ENGINE_MD_BATCH 256u   /* messages of one ring in a turn */
#define ENGINE_EXEC_BATCH 512u /* likewise */
#define ENGINE_TICK_NS (100 * NS_PER_MS)
#define ENGINE_JOURNAL_SILENT_NS (2 * NS_PER_S)
#define ENGINE_SOURCES_MAX 2u

typedef enum engine_step {                          /* places where a process may die, in order; for tests */
                           ENGINE_STEP_APPLIED = 0, /* applied, nothing committed                       */
                           ENGINE_STEP_COMMITTED,   /* in the journal, not in ord                       */
                           ENGINE_STEP_SENT,        /* in ord, not taken from exec, nothing published   */
                           ENGINE_STEP_DONE,        /* everything                                       */
                           ENGINE_STEP_COUNT
} engine_step_t;

typedef struct engine_feed { /* where an adapter's rings lie and how far they were read */
    const void *md;
    const void *exec;
    size_t      md_bytes;
    size_t      exec_bytes;
    uint64_t    md_seq; /* of the last message that is in the journal; 0 = none */
    uint64_t    exec_seq;
    uint32_t    gen; /* of the segment; 0 = there is none */
    uint32_t    reserved;
} engine_feed_t;

typedef struct engine_source { /* an adapter as the engine reads it */
    ring_reader_t     md;
    lossless_reader_t exec;
    ring_cursor_t    *md_cursor; /* ours, for monitors */
    ring_cursor_t    *exec_cursor;
    engine_feed_t     next; /* rings of its next life; gen 0 = none */
    uint64_t          lost_from, lost_to;
    uint32_t          losing; /* instrument that is to be told of that loss next; 0 = all were */
    uint32_t          gen;    /* of the rings that are read; 0 = none yet */
    role_t            role;
} engine_source_t;

typedef struct engine_loop {
    /* given by the caller, before engine_loop_begin */
    engine_t             *engine;
    engine_out_t          out;
    const config_t       *config;
    const setup_t        *setup;
    lossless_writer_t     jrn;
    lossless_writer_t     ord;
    publish_t             publish;
    words_t              *words;
    control_page_t       *control;
    counters_t           *counters;
    log_t                *log;
    histogram_t          *event;   /* ns, of each input                          */
    histogram_t          *decide;  /* ns, of each input that sent a request, until it was in ord */
    const control_page_t *journal; /* of the journal role; NULL = none; its cursor is jrn's */
    int                   fifo[ROLE_COUNT];
    uint32_t              epoch;
    uint32_t              source_count;
    uint64_t              record_base; /* journal records of all lives before */
    int64_t               mono_offset_ns;
    now_t                 now; /* of the newest input */
    engine_source_t       sources[ENGINE_SOURCES_MAX];
    engine_lanes_t        lanes;                    /* page and latency */
    void (*at_step)(void *ctx, engine_step_t step); /* NULL but in tests */
    void *at_step_ctx;

    /* its own */
    uint64_t sequence;
    uint64_t kill_version;
    uint64_t kill_known[SCOPE_VENUE + 1][WORDS_KILL_IDS / 64];
    int64_t  tick_mono_ns; /* machine clock: when the next one is due */
    uint32_t jrn_slots, ord_slots;
    uint32_t sent;          /* requests sent in this turn */
    uint32_t defined;       /* instruments whose venues have what they need */
    uint32_t state_open;    /* role_state_t to go back to when there is room again */
    int64_t  began_mono_ns; /* of the newest input, machine clock */
    bool     journaled;
    bool     fenced;
    bool     blocked;
    bool     md_suspended;
    bool     ring_full;
    bool     journal_down;
    bool     priced[ENGINE_INSTRUMENTS_MAX + 1];
    _Alignas(8) uint8_t held[1152]; /* a snapshot that waits until the limits of its instrument are set */
} engine_loop_t;

/* engine_output_journaled: is an output of this type in the journal? engine_output_sent: does it go to an adapter? */
bool engine_output_journaled(msg_type_t type);
bool engine_output_sent(msg_type_t type);

/* engine_message_allowed: may an adapter say this, in its md (RECORD_SOURCE_MD) or exec ring? */
bool engine_message_allowed(record_source_t source, const msg_t *msg);

/* engine_md_role: whose market data an instrument has. engine_ord_role: which adapter its orders go to. */
role_t engine_md_role(const config_t *config);
role_t engine_ord_role(uint16_t venue_id);

/* engine_loop_begin: check what the caller gave, take up what the engine's state says (kills, instruments with limits).
 * ERR_CONFIG for rings that are too small. */
err_t engine_loop_begin(engine_loop_t *loop);

/* engine_source_join: read an adapter's rings from here on: `feed` goes on behind its positions. While older rings are
 * still to be read, it waits for them. ERR_STATE when the journal knows more of exec than there is. */
err_t engine_source_join(engine_loop_t *loop, engine_source_t *source, const engine_feed_t *feed);

/* engine_source_waits: rings of an older life are still being read: their segment must stay mapped. */
bool engine_source_waits(const engine_loop_t *loop);

/* engine_input: an input of our own (source ENGINE). ERR_FULL when blocked or fenced: nothing happened; else what
 * engine_apply answered, which is in the journal too. */
err_t engine_input(engine_loop_t *loop, const msg_t *msg);

/* The parts of it for tools/engine_lanes.c. engine_room: not fenced, and room for the most that one input can cause.
 * engine_input_from: engine_input of another source, at seq of the ring of generation gen. engine_now: both clocks of
 * the newest input, which is a tick old at most, gone on by the monotonic one: one read of a clock. */
bool  engine_room(engine_loop_t *loop);
err_t engine_input_from(engine_loop_t *loop, const msg_t *msg, record_source_t source, uint32_t gen, uint64_t seq);
now_t engine_now(const engine_loop_t *loop);

/* engine_turn: fence, room, kill words, tick if due, then exec of each adapter, lanes, market data of each adapter;
 * journal and ord levels; bells.
 * mono_ns is the machine's clock. Returns inputs applied; 0 = there was nothing to do (or blocked, or fenced). */
uint32_t engine_turn(engine_loop_t *loop, int64_t mono_ns);
