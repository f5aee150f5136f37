/* delay: the way between us and a simulated venue: a bounded first-in first-out line for each leg, each with a constant
 * latency, merged into one stream by (due time, order of entry).
 *
 *   order_req (NEW)              ──push, due = now + latency[PLACE] ──▶ PLACE  ┐
 *   order_req (REPLACE, CANCEL)  ──push, due = now + latency[CANCEL]──▶ CANCEL ┼─▶ pop(now): the earliest one that
 *   exec_report                  ──push, due = now + latency[REPORT]──▶ REPORT ┘   is due, lines merged
 *
 * Constant latency keeps each line in order of due times, so a ring is enough and a pop looks at three heads. Two
 * messages due at the same nanosecond come out in the order in which they went in, whatever their legs.
 * What it gets wrong: real latency varies, and grows when everyone wants to trade: results with this model are too good
 * in bursts. With PLACE slower than CANCEL a cancel can overtake its order and is refused as unknown, as in life.
 *
 * Owner    one thread. Memory is one block of the caller's; no pointers.
 * Units    ns on the caller's virtual clock; latency 0..DELAY_LATENCY_MAX_NS.
 * Errors   a full leg answers ERR_FULL: nothing was taken, the caller still has the message. Never a loss. */
#pragma once

#include <stdbool.h>

#include "core/types/err.h"
#include "core/types/msg.h"

typedef enum delay_leg { DELAY_PLACE = 0, DELAY_CANCEL = 1, DELAY_REPORT = 2, DELAY_LEGS = 3 } delay_leg_t;

#define DELAY_LATENCY_MAX_NS 3600000000000LL /* an hour */
#define DELAY_DEPTH_MAX (1u << 20)

typedef struct delay_cfg {
    int64_t  latency_ns[DELAY_LEGS];
    uint32_t depth[DELAY_LEGS]; /* messages under way at most; 1..DELAY_DEPTH_MAX each */
} delay_cfg_t;

typedef struct delay_msg { /* leg says which member is there */
    int64_t     due_ns;
    uint64_t    seq; /* order of entry, from 1 */
    delay_leg_t leg;
    uint32_t    reserved;
    union {
        order_req_t   req;
        exec_report_t report;
    };
} delay_msg_t;

typedef struct delay delay_t;

/* Life. footprint: 0 and a sentence when cfg is out of range; new: NULL likewise. */
size_t   delay_align(void);
size_t   delay_footprint(const delay_cfg_t *cfg);
delay_t *delay_new(void *mem, const delay_cfg_t *cfg);

/* delay_push_req, delay_push_report: send at now_ns, which never goes back on a leg (ERR_STATE). ERR_FULL: try again
 * after a pop. ERR_RANGE: the due time does not fit. ERR_ARG: req->action is none of NEW, REPLACE, CANCEL. O(1). */
err_t delay_push_req(delay_t *delay, int64_t now_ns, const order_req_t *req);
err_t delay_push_report(delay_t *delay, int64_t now_ns, const exec_report_t *report);

/* delay_room: messages that a leg takes now. */
uint32_t delay_room(const delay_t *delay, delay_leg_t leg);

/* delay_due_ns: when the next message is due; INT64_MAX when nothing is under way. */
int64_t delay_due_ns(const delay_t *delay);

/* delay_pop: the next message that is due at now_ns. ERR_EMPTY when none is (msg untouched). */
err_t delay_pop(delay_t *delay, int64_t now_ns, delay_msg_t *msg);
