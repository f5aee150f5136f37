/* engine_lanes: the lanes of clients as the engine serves them: leases, requests, answers, ends.
 *
 *   cmd, rsp, connection (mails) ─▶ lane_serve ─▶ MSG_LANE OPEN, journaled ─▶ lane_open
 *   each turn ─▶ lane_take ▸ verify ▸ type, right, identity ┬▶ orders, changes: an input ─▶ VERDICT, AUDIT, EXEC_REPORT ─┬▶ rsp
 *                                                           └▶ questions: no record ─▶ RESPONSE, AUDIT ───────────┘
 *   gave back, dead, full, damaged, misused, stop ─▶ MSG_LANE CLOSED, journaled ─▶ lane_close
 *
 * Identity   is the lane's: the engine goes by the strategy that a request names, so here, and only here, it is made
 *            certain that it is the lane's own: tenant and strategy must be its own, or 0 and are filled in. Another's is
 *            MISUSED, as is a message that does not verify or that is no request. What the lane may do with its own
 *            identity is core's to judge (core/engine/engine.h, Lanes).
 *            Who did it (user_id: uid of the process that holds the lane, as the kernel says; lane_id) is filled in here.
 *            A MASS_CANCEL names no lane, so whether it may be made is judged here: own orders with LANE_RIGHT_ORDER,
 *            anybody's of the tenant with LANE_RIGHT_OPERATE; else a VERDICT 121, and no record.
 * Inputs ORDER_REQUEST, ORDER_TERMS_REQUEST, MASS_CANCEL, LIMIT_CHANGE, OPERATE: source RECORD_SOURCE_CMD, source_gen
 * = lane_id, source_seq = place in the ring cmd of that
 *            lease. Nobody reads on in an old ring: BOOT ended its lease, so a request that is not in the journal then
 *            never happened. What is journaled is written anew from what was verified, in our own layout: bytes of a
 *            client may overlap in ways that verify and do not survive a change.
 * Answers    after the requests of an input are in ord: its VERDICT to the lane that asked (exactly one for each
 *            ORDER_REQUEST, in their order; cancels of the engine's own have verdicts that nobody asked for), and
 *            each EXEC_REPORT to the lane whose strategy it names, whoever holds it now; each AUDIT to the lane that it
 *            names. LIMIT_CHANGE with step GET is a question: an AUDIT_VALUE for each field that the scope has, the last
 *            answer with field LANE_FIELDS_END.
 * Turns      ENGINE_LANE_BUDGET requests of each lane in a turn; a denied check counts ENGINE_LANE_DENIED, for it may
 *            have tried smaller quantities. Every order request costs a record, denied ones too: so that no client can
 *            fill the journal, a lane that sends more than ENGINE_LANE_FLOOD times its messages_per_s for longer than a
 *            second is read no faster than that, over all of its leases; the rest waits in its ring, until that is full
 *            for it.
 * Room       requests are read only while jrn and ord have an ENGINE_LANE_SPAREth of their slots more room than an input
 *            needs: when journal or adapter stand, that is for executions, control and the engine's own cancels, and no
 *            client brings the engine to a halt.
 * Ends       are noted at once (nothing more is taken from or told to that lane) and journaled in the next turn that
 *            has room. A client that gives its lane back is heard in that turn. Whether it lives is asked every
 *            ENGINE_LANE_LOOK_NS: one system call for each open lane, and the only one of an engine that spins.
 * Sleep      futex_waitv on the engine's own bell and those of all lanes (Linux 5.16); where the kernel has none, naps
 *            of ENGINE_LANE_NAP_NS while a lane is open.
 *
 * Memory     of the loop; a lane's two mappings come with its lease. Threads: the engine's. Costs nothing while no lane
 *            is open but one comparison for each input and turn. */
#pragma once

#include <stdbool.h>

#include "core/engine/engine.h"
#include "ipc/histogram.h"
#include "ipc/lane.h"
#include "ipc/settings.h"
#include "ipc/topology.h"
#include "ipc/words.h"

#define ENGINE_LANE_BUDGET 32u
#define ENGINE_LANE_DENIED 8u
#define ENGINE_LANE_FLOOD 4
#define ENGINE_LANE_SPARE 8u
#define LANE_FIELDS_END 0xFFFFu
#define ENGINE_LANE_LOOK_NS (100 * NS_PER_MS)
#define ENGINE_LANE_NAP_NS NS_PER_MS

typedef struct engine_lane {
    lane_server_t server;      /* cmd NULL = not leased */
    int64_t       due_mono_ns; /* of flood: when the last of its requests so far would have been due */
    int64_t       gap_ns;      /* of flood: between two requests */
    uint32_t      bell;        /* word of its bell when the engine armed itself */
    uint8_t       ends;        /* lane_reason_t: why it is to be closed */
    uint8_t       reserved[3];
} engine_lane_t;

typedef struct engine_lanes {
    lanes_page_t  *page;                    /* given by the caller */
    histogram_t   *latency;                 /* likewise: ns, from the taking of a request until its answer was out */
    uint32_t       open;                    /* leased ones */
    engine_lane_t *asking;                  /* whose request is being applied, until its verdict was told */
    uint64_t       asked_id;                /* ClOrdID of that request */
    bool           no_waitv;                /* this kernel has no futex_waitv */
    bool           held;                    /* the last turn left requests for later: a short sleep at most */
    int64_t        look_mono_ns;            /* when clients are looked after next */
    engine_lane_t  lanes[ENGINE_LANES_MAX]; /* by lane_id - 1 */
} engine_lanes_t;

typedef struct engine_loop engine_loop_t;

/* engine_lanes_begin: before RUN: the names of the configuration's clients into the page. */
void engine_lanes_begin(engine_lanes_t *lanes, const config_t *config);

/* engine_lanes_lease: a lease of the supervisor's: number = lease << 8 | lane_id; link is the client's connection, whose
 * peer holds the lane. Takes all three descriptors over. A lease that cannot be given (no such client in the
 * configuration, still leased, no room in jrn, files or connection that are none) is refused with a line in the log, and
 * its client is told by the supervisor, which waits for our seals. */
void engine_lanes_lease(engine_loop_t *loop, uint64_t number, int cmd_fd, int rsp_fd, int link_fd);

/* engine_lanes_turn: ends, then requests. Returns requests taken and lanes closed. */
uint32_t engine_lanes_turn(engine_loop_t *loop, int64_t mono_ns);

/* engine_lanes_answer: the outputs of the newest input (loop->out) that are a lane's. engine_lanes_bell: wake clients that
 * were told something and sleep. */
void engine_lanes_answer(engine_loop_t *loop);
void engine_lanes_bell(engine_loop_t *loop);

/* engine_lanes_close: all of them, journaled. ERR_FULL: no room for all, the rest stays.
 * engine_lanes_drop: all of them, as if the process had ended: nothing is told to anyone. */
err_t engine_lanes_close(engine_loop_t *loop, lane_reason_t reason);
void  engine_lanes_drop(engine_lanes_t *lanes);

/* The sleeper's steps with lanes: engine_lanes_arm beside doorbell_arm, look again, then engine_lanes_wait (which also
 * disarms the engine's own bell) or engine_lanes_disarm. own, word: the engine's bell, as doorbell_wait. */
void engine_lanes_arm(engine_lanes_t *lanes);
void engine_lanes_disarm(engine_lanes_t *lanes);
void engine_lanes_wait(engine_lanes_t *lanes, doorbell_t *own, uint32_t word, int64_t timeout_ns);
