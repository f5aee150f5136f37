/* sim_adapter: the adapter of the simulated venue: between the engine's rings and the venue's socket.
 *
 *   ord.sim (engine) ─▶ taken ─▶ gates ─▶ buffer ─▶ socket ─▶ venue          nothing is ever sent twice
 *                                  │ refused: UNSENT, *_REJECT
 *   exec.sim ◀──── answers ◀───────┘◀─────────────── socket ◀─ venue         nothing is ever lost
 *   md.sim   ◀──────────────────────────────────────┘                        never waits
 *
 * Taken    `taken` moves before the first byte of a message can leave. What was taken when we die is not sent by the next
 *          life: the engine asks the venue what became of it.
 * Gates    NEW and REPLACE, never CANCEL, are refused: an epoch below the fence (151), older than a second (114), GLOBAL
 *          kill word set (141), orderly stop (151), instrument not listed at the venue (102), table of orders full (158).
 *          Anything is refused while there is no session (153). A refused NEW is UNSENT, REPLACE and CANCEL are
 *          REPLACE_REJECT and CANCEL_REJECT: the order stands at the venue as it did.
 * Mass     MASS_CANCEL goes as one message; what of its scope still waits here for the disk is refused (149). Without a
 *   cancel session its orders are told as TIMEOUT.
 * Power    durability power: NEW and REPLACE wait here, taken, until the journal's durable record reaches their topic; a
 *          cancel passes unless its order waits here itself.
 * Lives    ord rings of engine lives are read one after the other, each to its end (sim_life_t); control->epoch says
 *          which one `taken` counts in. The successor of a dead adapter finds both in its segment. SIM_EPOCH_JOINING is
 *          set in it between two rings: then nothing of the new one was taken yet. One that never joined, or is gone, may
 *          still have had one, whose place is not known: everything written is passed over, and asked about.
 * Session  down: VENUE_LINK 0; what had not begun to leave is refused, what had begun and was not answered is TIMEOUT
 *          (UNKNOWN: the engine asks). Books are BROKEN. Connects again after 0.1, 0.2 .. 2 s. Up: when the venue's
 *          instruments have ids and all TIMEOUTs are told: VENUE_DEF, the session's state and VENUE_LINK 1; also to each
 *           new engine.
 *          Then the engine reconciles: its questions are passed on, and the answers are.
 * Ids      generated market: the venue defines, the engine numbers: looked up in its instrument records by venue and
 *          symbol, defined through exec when missing. Recorded market: the venue is told what the engine knows.
 * Silence  engine RUN without a heartbeat for 5 s, RECOVERING without progress for 30 s, HALT at once, FAIL for a second:
 *          the fence is raised above its epoch and everything known to be open is cancelled (and the venue asked for
 *          what is open, if we do not know it ourselves). A new engine life ends it.
 * exec     full: nothing more is read from the socket; ord is still drained: answers to refused requests wait in a line of
 *          ours, for which room is reserved before a message is taken.
 * Threads  one. Memory: allocated by sim_open, nothing after it.
 * Limits   SIM_ORDERS_MAX orders, SIM_ANSWERS_MAX answers, SIM_HELD_MAX held requests, SIM_LIVES_MAX unread engine lives. */
#pragma once

#include "adapters/net/frame_link.h"
#include "adapters/venues/sim/sim_orders.h"
#include "core/ref/instrument.h"
#include "ipc/histogram.h"
#include "ipc/records.h"
#include "ipc/ring_broadcast.h"
#include "ipc/role.h"

#define SIM_IN_BYTES (256u << 10)
#define SIM_OUT_BYTES (256u << 10)
#define SIM_ANSWERS_MAX 8192u
#define SIM_PENDING_MAX 4096u /* requests in a full buffer: SIM_OUT_BYTES / the smallest frame of one */
#define SIM_HELD_MAX 1024u
#define SIM_LIVES_MAX 8u
#define SIM_VENUES_MAX 64u
#define SIM_INSTRUMENTS_MAX 64u /* of the simulated venue: the engine's first ones */
#define SIM_ACCOUNTS_MAX 16u    /* likewise */
#define SIM_EPOCH_JOINING 0x80000000u
#define SIM_ORIGIN 255u /* of ClOrdIDs of our own cancels */

#define SIM_AGE_NS (1 * 1000000000LL)
#define SIM_SILENT_NS (5 * 1000000000LL)
#define SIM_RECOVER_NS (30 * 1000000000LL)
#define SIM_FAILED_NS (1 * 1000000000LL)
#define SIM_RETRY_NS_MIN 100000000LL
#define SIM_RETRY_NS_MAX 2000000000LL

typedef struct sim_ins { /* an instrument of the venue, by its id there */
    instrument_t ins;
    uint32_t     engine_id;       /* 0 = not known yet */
    uint32_t     listed;          /* generated: defined in this session; recorded: told to the venue in this session */
    int64_t      defined_mono_ns; /* when its definition went to the engine last */
} sim_ins_t;

typedef struct sim_venue_row { /* a venue id that we serve */
    int64_t session;           /* session_t as the venue told */
    bool    told;              /* it was told in this session */
    bool    linked;            /* the engine has VENUE_LINK 1 */
    bool    lost;              /* and is to have VENUE_LINK 0 first, whatever comes after */
} sim_venue_row_t;

typedef struct sim_life { /* an engine's ord ring */
    segment_t segment;    /* owned, but for the newest: that is ctx->peer[ROLE_ENGINE] */
    uint64_t  taken;      /* where to begin */
} sim_life_t;

typedef struct sim_pending { /* a request in the buffer of which no byte has left */
    order_req_t req;
    uint64_t    start; /* frame_link_t.put before it */
} sim_pending_t;

typedef struct sim_held {
    order_req_t req;
    uint32_t    topic; /* low half of the record number that must be durable */
    uint32_t    reserved;
} sim_held_t;

typedef struct sim {
    role_ctx_t       *ctx;
    frame_link_t      link;
    void             *in, *out;
    bool              recorded; /* the market is a recorded one */
    bool              power;    /* durability power */
    ring_writer_t     md;
    lossless_writer_t exec;
    histogram_t      *taken; /* ns from the receipt of what gave the signal until its order was taken here */
    uint32_t          wrote; /* into md and exec since the engine's bell was rung last */

    sim_life_t            lives[SIM_LIVES_MAX]; /* unread, oldest first; ours */
    uint32_t              life_count;
    bool                  joined; /* ord reads lives[0], or else the newest engine */
    bool                  newest; /* it is the newest */
    lossless_reader_t     ord;
    const engine_clock_t *clock;        /* of the engine whose ring is read */
    const control_page_t *engine;       /* of the newest engine, NULL = none */
    records_reader_t      records;      /* its instruments */
    const ring_cursor_t  *durable;      /* of the journal */
    uint32_t              engine_epoch; /* of the newest */
    uint64_t              newest_taken; /* where to join the newest one's ring */

    sim_ins_t       ins[SIM_INSTRUMENTS_MAX + 1];       /* by the venue's id  */
    uint32_t        by_engine[SIM_INSTRUMENTS_MAX + 1]; /* by the engine's id */
    sim_venue_row_t venues[SIM_VENUES_MAX];
    sim_orders_t   *orders;

    exec_report_t *answers; /* of ours, waiting for room in exec */
    uint32_t       answer_head, answer_count;
    sim_pending_t *pending;
    uint32_t       pending_head, pending_count;
    sim_held_t    *held;
    uint32_t       held_count;
    uint32_t       lost_row; /* TIMEOUTs are told from this row on; SIM_ORDERS_MAX = all told */

    uint32_t silent_epoch; /* of the engine whose orders were cancelled by us; 0 = none */
    bool     ask;          /* in silence: the venue is to be asked what is open */
    uint64_t own_ids;      /* ClOrdIDs of our cancels */
    int64_t  opened_mono_ns;
    uint64_t progress;
    int64_t  progress_mono_ns, failed_mono_ns;

    int64_t  retry_mono_ns, retry_ns;
    int      dir_fd; /* of the instance's directory, for connect */
    int64_t  map_mono_ns;
    uint64_t counted_sent, counted_received;
} sim_t;

/* sim_open: join rings, look at what the predecessor left (see Lives). connect_dir: path of the directory with the
 * socket, NULL = the caller hands connections over by sim_connected (tests). A sentence on failure. */
err_t sim_open(sim_t *sim, role_ctx_t *ctx, const char *connect_dir);
void  sim_close(sim_t *sim);

/* sim_connected: a session on fd, taken over. sim_disconnected: it is lost; why is for the log. */
void sim_connected(sim_t *sim, int fd);
void sim_disconnected(sim_t *sim, const char *why, int64_t mono_ns);

/* sim_turn: everything that there is to do; returns how much there was. sim_more: is there work that came since?
 * sim_reads: may the socket be read?
 * sim_news: peer role has a new segment. sim_sleep_ns: how long there is nothing to do if nobody wakes us. */
uint32_t sim_turn(sim_t *sim, int64_t mono_ns);
bool     sim_more(const sim_t *sim);
bool     sim_reads(sim_t *sim);
void     sim_news(sim_t *sim, role_t role, int64_t mono_ns);
int64_t  sim_sleep_ns(const sim_t *sim, int64_t mono_ns);

/* sim_count: counters that are added up while housekeeping. */
void sim_count(sim_t *sim);
