/* engine_world: a whole engine for tests, driven by hand-made messages, one at a time.
 *
 * Instrument 1 is X at venue 1: px, qty in units, money in cents of USD. Accounts 1.. in USD with 1,000,000.00 each,
 * limits far away, set by records. Two lanes and no strategy, so lane 1 is strategy 1 and lane 2 strategy 2, with limits
 * further away. Orders of a lane: ClOrdID (epoch, lane, 1, 2, ...), both lanes counted together. After each input equity by the ledger
 * must equal equity by the positions. A failure of these steps ends the program: it is a test. */
#pragma once

#include "core/engine/engine.h"
#include "core/engine/engine_view.h"
#include "core/types/ids.h"

#define WORLD_LANES 2u
#define WORLD_MBO_BOOKS 2u
#define WORLD_ORIGIN 1u /* of the ids of lane 1 */

typedef struct world {
    void        *arena;
    size_t       bytes;
    engine_t    *engine;
    void        *handle;
    engine_out_t out;
    int64_t      now;
    int64_t      utc_ahead; /* utc = now + this */
    uint64_t     rpt_seq, id, exec;
    uint32_t     accounts;
} world_t;

/* world_bare: an engine with nothing in it, epoch as in engine_cfg_t. world_set_up: X, accounts, limits, journal and
 * clock. world_open: both, with the link up before there is an account (nothing to reconcile) and the session open.
 * world_copy: a snapshot on other memory. */
void world_bare(world_t *w, uint32_t epoch, uint32_t accounts);
void world_instrument(world_t *w, uint16_t venue_id, const char *symbol);
void world_set_up(world_t *w);
void world_open(world_t *w, uint32_t epoch, uint32_t accounts);
void world_copy(world_t *to, const world_t *from);
void world_close(world_t *w);

err_t world_apply(world_t *w, const msg_t *msg);
err_t world_apply_body(world_t *w, msg_type_t type, const void *body);
void  world_book(world_t *w, uint32_t flags, int64_t bid, int64_t ask); /* of X, a complete message, now */
err_t world_mbo(world_t *w, uint32_t id, uint32_t flags, uint64_t rpt_seq, const mbo_entry_t *entries, uint32_t count);
void  world_control(world_t *w, control_kind_t kind, scope_t scope, uint32_t id, int64_t value);
void  world_tick(world_t *w, int64_t after_ns);
void  world_limits(world_t *w, scope_t scope, uint32_t id1, uint32_t id2, const risk_limits_t *limits);
void  world_limit(world_t *w, scope_t scope, uint32_t id1, uint32_t field,
                  int64_t value); /* one field, by LIMIT_CHANGE */

/* world_lane: a MSG_LANE as it must be: OPEN with the next lease, every account and both rights; CLOSED as it was opened,
 * RELEASED. world_order: a request of lane 1 (req.strategy_id: of that lane) in account 1 on X unless req says otherwise;
 * answers the verdict's code. A lane that is not open is opened before, with LANE_KEEP. */
lane_t   world_lane(const world_t *w, uint32_t lane_id, lane_state_t state, lane_policy_t on_close);
uint16_t world_order(world_t *w, order_req_t req);

/* world_report, world_fill: a report on the lane's order number seq, with an exec id of its own. */
exec_report_t world_report(world_t *w, uint64_t seq, exec_type_t type);
exec_report_t world_fill(world_t *w, uint64_t seq, side_t side, int64_t px, int64_t qty);

/* outputs of the newest input: n-th of a type (NULL = none), how many. */
const void *world_out(const world_t *w, msg_type_t type, uint32_t n);
const void *world_out_first(const world_t *w, msg_type_t type);
uint32_t    world_out_count(const world_t *w, msg_type_t type);
