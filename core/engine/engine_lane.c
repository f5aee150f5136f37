/* Lanes: clients with an identity of their own, and what becomes of their orders when they go.
 *
 *            LANE OPEN                    LANE CLOSED (reason), BOOT
 *   NONE ────────────────▶ OPEN ──────────────────────────────────────▶ CLOSED ── LANE OPEN, a higher lease ──▶ OPEN
 *                          strategy approved (1)                        not approved (128); LANE_CANCEL: sweep_mark =
 *                                                                       newest id seen, until no such order is open
 *
 * The mark, and not a list, says which orders a sweep is about: an id names its life and its place in it (ids.h). */
#include "core/engine/engine_private.h"

#define LANE_RIGHTS                                                                                                    \
    (LANE_RIGHT_CHECK | LANE_RIGHT_ORDER | LANE_RIGHT_LIMITS | LANE_RIGHT_RAISE | LANE_RIGHT_APPROVE |                 \
     LANE_RIGHT_OPERATE)
#define LANE_ACCOUNTS_MAX 63u /* bits of lane_t.accounts */

static lane_slot_t *slot_of(const engine_t *e, uint32_t lane_id)
{
    return lane_id >= 1 && lane_id <= e->s->lanes_max ? &e->s->lanes[lane_id - 1] : NULL;
}

/* The lane whose identity a strategy id is; NULL = of none. */
static lane_slot_t *slot_of_strategy(const engine_t *e, uint32_t strategy_id)
{
    return strategy_id > e->s->strategy_count ? slot_of(e, strategy_id - e->s->strategy_count) : NULL;
}

static bool account_named(const lane_t *lane, uint32_t account_id)
{
    return account_id <= LANE_ACCOUNTS_MAX && (lane->accounts >> account_id & 1) != 0;
}

/* ---- opening and closing ----------------------------------------------------------------------------------------- */
static uint64_t lease_newest(const engine_t *e)
{
    uint64_t newest = 0;
    for (uint32_t i = 0; i < e->s->lanes_max; i++) {
        newest = e->s->lanes[i].lane.lease > newest ? e->s->lanes[i].lane.lease : newest;
    }
    return newest;
}

/* Bits of the accounts that exist. */
static uint64_t accounts_there(const engine_t *e)
{
    const uint32_t n = e->s->account_count < LANE_ACCOUNTS_MAX ? e->s->account_count : LANE_ACCOUNTS_MAX;
    return n == 0 ? 0 : (~0ull >> (LANE_ACCOUNTS_MAX - n)) & ~1ull;
}

static err_t open_check(const engine_t *e, const lane_slot_t *slot, const lane_t *l)
{
    const uint64_t newest = lease_newest(e);
    if (slot->lane.state == LANE_OPEN) {
        return err_set(ERR_EXISTS, "engine: lane %u is open, lease %llu of pid %u", l->lane_id,
                       (unsigned long long)slot->lane.lease, slot->lane.pid);
    }
    if (l->lease <= newest) {
        return err_set(ERR_ARG, "engine: lane %u has lease %llu, the newest one was %llu", l->lane_id,
                       (unsigned long long)l->lease, (unsigned long long)newest);
    }
    if (l->tenant_id != slot->lane.tenant_id || l->strategy_id != slot->lane.strategy_id) {
        return err_set(ERR_ARG, "engine: lane %u says tenant %u and strategy %u; it has %u and %u", l->lane_id,
                       l->tenant_id, l->strategy_id, slot->lane.tenant_id, slot->lane.strategy_id);
    }
    if (l->accounts == 0 || (l->accounts & ~accounts_there(e)) != 0) {
        return err_set(ERR_ARG, "engine: lane %u names accounts %#llx, there are %u (bits %#llx)", l->lane_id,
                       (unsigned long long)l->accounts, e->s->account_count, (unsigned long long)accounts_there(e));
    }
    if (l->rights == 0 || (l->rights & ~LANE_RIGHTS) != 0 || l->on_close > LANE_KEEP) {
        return err_set(ERR_ARG, "engine: lane %u has rights %#x (1..%#x) and policy %u (0..%u)", l->lane_id, l->rights,
                       (unsigned)LANE_RIGHTS, l->on_close, (unsigned)LANE_KEEP);
    }
    if (l->reason != LANE_REASON_NONE || l->epoch != 0 || l->first_seq != 0 || l->reserved != 0 || l->reserved2 != 0) {
        return err_set(ERR_ARG, "engine: lane %u opens with reason %u, epoch %u, first sequence %llu, which are not 0",
                       l->lane_id, l->reason, l->epoch, (unsigned long long)l->first_seq);
    }
    return ERR_OK;
}

static void approve(engine_t *e, const lane_t *lane, uint32_t version)
{
    const err_t err = risk_strategy_open(e->risk, lane->strategy_id, lane->tenant_id, version);
    assert(err == ERR_OK); /* risk was sized for its id */
}

static void close_slot(engine_t *e, lane_slot_t *slot, lane_reason_t reason)
{
    lane_t *lane = &slot->lane;
    lane->state  = LANE_CLOSED;
    lane->reason = (uint8_t)reason;
    approve(e, lane, 0);
    const uint64_t newest = risk_seen(e->risk, lane->strategy_id);
    if (lane->on_close == LANE_CANCEL && newest != 0) {
        slot->sweep_mark = newest;
        e->s->lanes_swept |= 1u << (lane->lane_id - 1);
        e->s->act.walk_anew = 1;
    }
}

static err_t close_check(const lane_slot_t *slot, const lane_t *l)
{
    if (slot->lane.state != LANE_OPEN || l->lease != slot->lane.lease) {
        return err_set(ERR_STATE, "engine: lane %u, lease %llu, is to be closed; it is %s, lease %llu", l->lane_id,
                       (unsigned long long)l->lease, slot->lane.state == LANE_OPEN ? "open" : "not open",
                       (unsigned long long)slot->lane.lease);
    }
    if (l->reason == LANE_REASON_NONE || l->reason >= LANE_REASON_COUNT) {
        return err_set(ERR_ARG, "engine: lane %u closes with reason %u, not one of 1..%u", l->lane_id, l->reason,
                       (unsigned)LANE_REASON_COUNT - 1);
    }
    return ERR_OK;
}

err_t lane_input(engine_t *e, const lane_t *given)
{
    lane_slot_t *slot = slot_of(e, given->lane_id);
    err_t        err  = ERR_OK;
    if (!slot) {
        return err_set(ERR_NOT_FOUND, "engine: lane %u, of which there are %u", given->lane_id, e->s->lanes_max);
    }
    switch ((lane_state_t)given->state) {
    case LANE_OPEN:
        if ((err = open_check(e, slot, given)) == ERR_OK) {
            slot->lane = *given;
            approve(e, &slot->lane, 1);
        }
        return err;
    case LANE_CLOSED:
        if ((err = close_check(slot, given)) == ERR_OK) {
            close_slot(e, slot, (lane_reason_t)given->reason);
        }
        return err;
    default:
        return err_set(ERR_ARG, "engine: lane %u with state %u, neither %u nor %u", given->lane_id, given->state,
                       (unsigned)LANE_OPEN, (unsigned)LANE_CLOSED);
    }
}

void lane_restart(engine_t *e)
{
    for (uint32_t i = 0; i < e->s->lanes_max; i++) {
        if (e->s->lanes[i].lane.state == LANE_OPEN) {
            close_slot(e, &e->s->lanes[i], LANE_REASON_RESTART);
        }
    }
}

uint16_t lane_rights(const engine_t *e, uint32_t lane_id)
{
    const lane_slot_t *slot = slot_of(e, lane_id);
    return slot && slot->lane.state == LANE_OPEN ? slot->lane.rights : 0;
}

bool lane_sweeps(const engine_t *e, const order_t *order, uint32_t *left)
{
    const lane_slot_t *slot = slot_of_strategy(e, order->strategy_id);
    if (!slot || cl_ord_id_mark(order->cl_ord_id) > slot->sweep_mark) {
        return false;
    }
    *left |= 1u << (slot->lane.lane_id - 1);
    return true;
}

void lane_swept(engine_t *e, uint32_t left)
{
    for (uint32_t i = 0; i < e->s->lanes_max; i++) {
        if (!(left >> i & 1)) {
            e->s->lanes[i].sweep_mark = 0;
        }
    }
    e->s->lanes_swept = left;
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* What a lane must be for either kind of request. */
static lane_denial_t judge_lane(const lane_t *lane, uint32_t account_id, uint16_t right)
{
    if (lane->state != LANE_OPEN) {
        return (lane_denial_t){.code       = RISK_STRATEGY_NOT_APPROVED,
                               .scope_type = SCOPE_STRATEGY,
                               .scope_id   = lane->strategy_id,
                               .observed   = lane->strategy_id};
    }
    if (!(lane->rights & right)) {
        return (lane_denial_t){.code       = RISK_NOT_AUTHORISED,
                               .scope_type = SCOPE_STRATEGY,
                               .scope_id   = lane->strategy_id,
                               .observed   = right,
                               .limit      = lane->rights};
    }
    if (!account_named(lane, account_id)) {
        return (lane_denial_t){
            .code = RISK_NOT_AUTHORISED, .scope_type = SCOPE_ACCOUNT, .scope_id = account_id, .observed = account_id};
    }
    return (lane_denial_t){.code = RISK_ACCEPTED};
}

/* Ids must be of this life and of the lane itself: else one message could use up those of a strategy, or of another
 * lane, for ever. */
lane_denial_t lane_judge(const engine_t *e, const order_req_t *req)
{
    const lane_slot_t *slot   = slot_of_strategy(e, req->strategy_id);
    const uint32_t     origin = cl_ord_id_origin(req->cl_ord_id);
    if (!slot || origin != req->strategy_id || cl_ord_id_epoch(req->cl_ord_id) != e->s->boot.epoch) {
        return (lane_denial_t){.code = RISK_BAD_CLIENT_ORDER_ID, .observed = origin, .limit = req->strategy_id};
    }
    if (slot->lane.state == LANE_OPEN && req->tenant_id != slot->lane.tenant_id) {
        return (lane_denial_t){.code       = RISK_WRONG_TENANT,
                               .scope_type = SCOPE_TENANT,
                               .scope_id   = slot->lane.tenant_id,
                               .observed   = req->tenant_id,
                               .limit      = slot->lane.tenant_id};
    }
    const lane_denial_t why = judge_lane(&slot->lane, req->account_id, LANE_RIGHT_ORDER);
    const uint32_t      row = req->action == ORDER_ACTION_NEW ? ORDER_NONE : order_find(e->orders, req->orig_cl_ord_id);
    const uint32_t      owner = row != ORDER_NONE                 ? order_at(e->orders, row)->strategy_id
                                : req->action == ORDER_ACTION_NEW ? 0
                                                                  : held_find_owner(e, req->orig_cl_ord_id);
    const bool          any   = req->action == ORDER_ACTION_CANCEL && (slot->lane.rights & LANE_RIGHT_OPERATE) != 0;
    if (why.code == RISK_ACCEPTED && owner != 0 && !any && owner != req->strategy_id) { /* of somebody else */
        return (lane_denial_t){.code       = RISK_UNKNOWN_ORDER,
                               .scope_type = SCOPE_STRATEGY,
                               .scope_id   = req->strategy_id,
                               .observed   = (int64_t)req->orig_cl_ord_id};
    }
    return why;
}

/* ---- reading, and the risk question ------------------------------------------------------------------------------ */
static uint64_t next_seq(const engine_t *e, const lane_t *lane)
{
    const uint64_t first = cl_ord_id_mark(cl_ord_id_make(e->s->boot.epoch, lane->strategy_id, 1));
    const uint64_t seen  = risk_seen(e->risk, lane->strategy_id);
    return seen < first ? 1 : seen - first + 2;
}

bool engine_lane(const engine_t *e, uint32_t lane_id, lane_t *out)
{
    const lane_slot_t *slot = slot_of(e, lane_id);
    if (!slot) {
        return false;
    }
    *out           = slot->lane;
    out->epoch     = e->s->boot.epoch;
    out->first_seq = next_seq(e, &slot->lane);
    return true;
}

lane_denial_t lane_asks(const engine_t *e, uint32_t lane_id, uint32_t account_id)
{
    const lane_slot_t *slot = slot_of(e, lane_id);
    if (!slot) {
        return (lane_denial_t){.code = RISK_NOT_AUTHORISED, .observed = lane_id, .limit = e->s->lanes_max};
    }
    const lane_denial_t why = judge_lane(&slot->lane, account_id, LANE_RIGHT_CHECK);
    return why.code == RISK_ACCEPTED && e->s->boot.epoch == 0 ? (lane_denial_t){.code = RISK_RECOVERING, .limit = 1}
                                                              : why;
}

static lane_denial_t judge_question(const engine_t *e, uint32_t lane_id, const risk_check_req_t *req)
{
    if (slot_of(e, lane_id) && (req->reserved != 0 || req->reserved2 != 0)) {
        return (lane_denial_t){.code = RISK_BAD_MESSAGE};
    }
    return lane_asks(e, lane_id, req->account_id);
}

/* The order as the lane would send it now. */
static void probe(const engine_t *e, now_t now, const lane_t *lane, const risk_check_req_t *req, risk_probe_t *out)
{
    const order_req_t  made = {.cl_ord_id     = cl_ord_id_make(e->s->boot.epoch, lane->strategy_id, next_seq(e, lane)),
                               .tenant_id     = lane->tenant_id,
                               .account_id    = req->account_id,
                               .strategy_id   = lane->strategy_id,
                               .instrument_id = req->instrument_id,
                               .px            = req->px,
                               .qty           = req->qty,
                               .created_mono_ns = now.mono_ns,
                               .action          = ORDER_ACTION_NEW,
                               .side            = req->side,
                               .ord_type        = req->ord_type,
                               .tif             = req->tif,
                               .exec_inst       = req->exec_inst};
    const ins_state_t *ins  = ins_of(e, req->instrument_id);
    risk_md_t          md;
    if (ins) {
        engine_order_view(e, now, req->instrument_id, &md);
    }
    risk_probe(e->risk,
               &(risk_in_t){.req       = &made,
                            .ins       = ins ? &ins->ins : NULL,
                            .md        = ins ? &md : NULL,
                            .orders    = e->orders,
                            .now       = now,
                            .order_seq = e->s->seq},
               out);
}

void engine_risk_check(const engine_t *e, now_t now, uint32_t lane_id, const risk_check_req_t *req,
                       risk_check_resp_t *out)
{
    const lane_slot_t  *slot  = slot_of(e, lane_id);
    const lane_denial_t why   = judge_question(e, lane_id, req);
    risk_probe_t        found = {.verdict = {.observed      = why.observed,
                                             .limit         = why.limit,
                                             .scope_id      = why.scope_id,
                                             .limit_version = risk_limit_version(e->risk),
                                             .code          = (uint16_t)why.code,
                                             .scope_type    = (uint8_t)why.scope_type},
                                 .score   = RISK_SCORE_MAX};
    if (why.code == RISK_ACCEPTED) {
        probe(e, now, &slot->lane, req, &found);
    }
    *out = (risk_check_resp_t){.corr_hi           = req->corr_hi,
                               .corr_lo           = req->corr_lo,
                               .portfolio_version = e->s->seq,
                               .adjusted_qty      = found.adjusted_qty,
                               .px                = found.px,
                               .observed          = found.verdict.observed,
                               .limit             = found.verdict.limit,
                               .engine_utc_ns     = now.utc_ns,
                               .scope_id          = found.verdict.scope_id,
                               .instrument_id     = req->instrument_id,
                               .account_id        = req->account_id,
                               .limit_version     = found.verdict.limit_version,
                               .code              = found.verdict.code,
                               .risk_score        = found.score,
                               .approved          = found.verdict.code == RISK_ACCEPTED,
                               .scope_type        = found.verdict.scope_type};
}
