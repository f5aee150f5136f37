/* delay: the ways between us and a simulated venue: a bounded first-in first-out line for each leg, each with a latency of
 * its own, merged into one stream by (due time, order of entry).
 *
 *   order_req (NEW)           ──push──▶ PLACE  ┐
 *   order_req (REPLACE)       ──push──▶ AMEND  │
 *   order_req (CANCEL)        ──push──▶ CANCEL ┼─▶ pop(now): the earliest one that is due, lines merged
 *   exec_report (TRADE)       ──push──▶ FILL   │   (FILL and ACK share one connection)
 *   exec_report (all others)  ──push──▶ ACK    │
 *   market message            ──push──▶ FEED   ┘
 *
 *      due = max(now + latency, due of the message before it on the same connection)
 *
 * Latency  of a leg: constant, or drawn from a table (latency.h), each leg with a random sequence of its own from the seed.
 * Order    a message never overtakes an earlier one of its leg: a slow one holds up those behind it, as on a stream of
 *          bytes. Reports come home on one connection, so a fill never overtakes the ack of its order, whatever the two
 *          latencies are. Requests have a connection a leg: with PLACE slower than CANCEL a cancel can overtake its order
 *          and is refused as unknown, as in life. Two messages due at the same nanosecond come out in the order in which
 *          they went in, whatever their legs. A ring a leg is enough, and a pop looks at six heads.
 * Wrong    constant latency: real latency varies, and grows when everyone wants to trade: results are too good in bursts.
 *          Drawn latency: as latency.h says.
 * Feed     market messages are copied with their tails. A leg of depth 0 takes nothing: without a feed latency there is
 *          no need for the copies.
 *
 * Owner    one thread. Memory is one block of the caller's; no pointers: its bytes are its snapshot.
 * Units    ns on the caller's virtual clock; latency 0..DELAY_LATENCY_MAX_NS.
 * Errors   a full leg answers ERR_FULL: nothing was taken, the caller still has the message. Never a loss. */
#pragma once

#include <stdbool.h>

#include "core/match/latency.h"
#include "core/types/err.h"
#include "core/types/msg.h"

typedef enum delay_leg {
    DELAY_PLACE  = 0,
    DELAY_AMEND  = 1,
    DELAY_CANCEL = 2,
    DELAY_ACK    = 3,
    DELAY_FILL   = 4,
    DELAY_FEED   = 5,
    DELAY_LEGS   = 6
} delay_leg_t;

#define DELAY_LATENCY_MAX_NS LATENCY_MAX_NS
#define DELAY_DEPTH_MAX (1u << 20)
#define DELAY_FEED_BODY_MAX 64u   /* bytes of a market message's struct */
#define DELAY_FEED_TAIL_MAX 1024u /* and of its tail: 64 levels, 32 orders */

typedef struct delay_cfg {
    int64_t          latency_ns[DELAY_LEGS]; /* constant, where drawn is NULL */
    const latency_t *drawn[DELAY_LEGS];      /* copied by delay_new */
    uint32_t         depth[DELAY_LEGS];      /* messages under way at most; 1..DELAY_DEPTH_MAX each, FEED also 0 */
    uint64_t         seed;
} delay_cfg_t;

typedef struct delay_msg { /* leg says which member is there */
    int64_t     due_ns;
    uint64_t    seq; /* order of entry, from 1 */
    delay_leg_t leg;
    uint32_t    reserved;
    union {
        order_req_t   req;
        exec_report_t report;
        msg_t         feed; /* points into the block: until the next delay_push_feed */
    };
} delay_msg_t;

typedef struct delay delay_t;

/* Life. footprint: 0 and a sentence when cfg is out of range; new: NULL likewise. */
size_t   delay_align(void);
size_t   delay_footprint(const delay_cfg_t *cfg);
delay_t *delay_new(void *mem, const delay_cfg_t *cfg);

/* delay_leg_name: "place" and so on. */
const char *delay_leg_name(delay_leg_t leg);

/* delay_push_req, delay_push_report, delay_push_feed: send at now_ns, which never goes back on a leg (ERR_STATE).
 * ERR_FULL: try again after a pop. ERR_RANGE: the due time does not fit. ERR_ARG: req->action is none of NEW, REPLACE,
 * CANCEL; a message that is none of BOOK_UPDATE, MBO_UPDATE, TRADE, TOP, FEED_STATE. O(1), O(log points) when drawn. */
err_t delay_push_req(delay_t *delay, int64_t now_ns, const order_req_t *req);
err_t delay_push_report(delay_t *delay, int64_t now_ns, const exec_report_t *report);
err_t delay_push_feed(delay_t *delay, int64_t now_ns, const msg_t *msg);

/* delay_room: messages that a leg takes now. */
uint32_t delay_room(const delay_t *delay, delay_leg_t leg);

/* delay_slowest_ns: the latency that no message of a leg is above by itself. */
int64_t delay_slowest_ns(const delay_t *delay, delay_leg_t leg);

/* delay_due_ns: when the next message is due; INT64_MAX when nothing is under way. */
int64_t delay_due_ns(const delay_t *delay);

/* delay_pop: the next message that is due at now_ns. ERR_EMPTY when none is (msg untouched). */
err_t delay_pop(delay_t *delay, int64_t now_ns, delay_msg_t *msg);
