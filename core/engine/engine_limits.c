/* Limits and controls by persons: changes of limits with who and why, overrides with four eyes, OPERATE; what the gate does
 * by itself; venue budgets.
 *
 *   LIMIT_CHANGE  BEGIN ─▶ SET ... ─▶ COMMIT   collected by lane, one change at a time; all in force with one new version,
 *                   └────────┴─▶ ABORT          or none. 60 s after BEGIN, and with its lane, a change is over
 *                 ASK ─▶ (another person) APPROVE ─▶ until REVOKE or its end: an override
 *   OPERATE       a CONTROL with who and why; SETTLE and ALERT_ACK go no other way
 *
 * Each result is an AUDIT output: LIMIT for each field that changed, OVERRIDE_*, CONTROL, or one REFUSED, whose field is
 * a risk code (121: the lane has not the right) or an err_t, and engine_apply says why in a sentence. A change is refused
 * once, by the first of its steps that cannot be: the steps behind it fail without another AUDIT. A change that leaves
 * every field as it was is none: no AUDIT and no new version.
 * Rights of the lane: LIMITS for every step; RAISE to loosen a field (risk_limit_looser); APPROVE for APPROVE; OPERATE.
 * Lane 0 is the configuration: it may change, and asks for nothing. Change numbers of a lane rise; those of overrides are
 * new among the overrides. */
#include "core/engine/engine_private.h"

#define STAGE_NS (60 * NS_PER_S)

/* ---- saying what became of it ------------------------------------------------------------------------------------ */

static audit_t audit_of(const limit_change_t *c, audit_kind_t kind)
{
    return (audit_t){.change_id  = c->change_id,
                     .new_value  = c->value,
                     .scope_id   = c->scope_id,
                     .scope_id2  = c->scope_id2,
                     .user_id    = c->user_id,
                     .lane_id    = c->lane_id,
                     .field      = c->field,
                     .scope_type = c->scope_type,
                     .kind       = (uint8_t)kind};
}

static uint64_t lease_of(const engine_t *e, uint32_t lane_id)
{
    return lane_id == 0 ? 0 : e->s->lanes[lane_id - 1].lane.lease;
}

static limit_stage_t *stage_of(const engine_t *e, uint32_t lane_id)
{
    return &e->s->stages[lane_id];
}

static void stage_close(limit_stage_t *stage)
{
    *stage = (limit_stage_t){.newest = stage->newest};
}

/* Has the lane begun a change that is not over? */
static bool stage_live(const engine_t *e, uint32_t lane_id)
{
    const limit_stage_t *stage = stage_of(e, lane_id);
    return stage->change_id != 0 && !stage->refused && stage->lease == lease_of(e, lane_id) &&
           e->now.mono_ns - stage->mono_ns < STAGE_NS;
}

/* A change is refused once and as a whole: what is left of it says nothing new, and can bring none of it into force.
 * Another one that the lane has begun stays as it is. */
static bool refused_before(engine_t *e, const limit_change_t *c)
{
    if (c->step < LIMIT_STEP_BEGIN || c->step > LIMIT_STEP_ABORT || c->change_id == 0 || c->lane_id > e->s->lanes_max) {
        return false;
    }
    limit_stage_t *stage = stage_of(e, c->lane_id);
    const bool     same  = stage->change_id == c->change_id;
    const bool     told  = stage->refused && same && c->step != LIMIT_STEP_BEGIN;
    if (same || !stage_live(e, c->lane_id)) {
        stage_close(stage);
        stage->change_id = c->change_id;
        stage->refused   = 1;
    }
    return told;
}

static err_t refuse(engine_t *e, const limit_change_t *c, uint16_t why, err_t err)
{
    if (!refused_before(e, c)) {
        audit_t audit = audit_of(c, AUDIT_REFUSED);
        audit.field   = why;
        audit_emit(e, audit);
    }
    return err;
}

static err_t refuse_right(engine_t *e, const limit_change_t *c, uint16_t right)
{
    return refuse(e, c, RISK_NOT_AUTHORISED,
                  err_set(ERR_STATE, "engine: lane %u has rights %#x, and not %#x", c->lane_id,
                          lane_rights(e, c->lane_id), right));
}

/* The configuration may change limits. */
static bool may(const engine_t *e, uint32_t lane_id, uint16_t right)
{
    return lane_id == 0 || (lane_rights(e, lane_id) & right) != 0;
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

/* Is this the change that the lane has begun, and is it not over? */
static bool stage_open(const engine_t *e, const limit_change_t *c)
{
    return stage_live(e, c->lane_id) && stage_of(e, c->lane_id)->change_id == c->change_id;
}

static err_t refuse_closed(engine_t *e, const limit_change_t *c)
{
    return refuse(e, c, ERR_STATE,
                  err_set(ERR_STATE, "engine: lane %u has not begun change %llu, or it is over", c->lane_id,
                          (unsigned long long)c->change_id));
}

static err_t change_begin(engine_t *e, const limit_change_t *c)
{
    limit_stage_t *stage = stage_of(e, c->lane_id);
    if (c->change_id == 0 || (c->lane_id != 0 && c->change_id <= stage->newest)) {
        return refuse(e, c, ERR_ARG,
                      err_set(ERR_ARG, "engine: change %llu of lane %u is not above %llu",
                              (unsigned long long)c->change_id, c->lane_id, (unsigned long long)stage->newest));
    }
    stage_close(stage);
    stage->change_id = c->change_id;
    stage->newest    = c->change_id;
    stage->lease     = lease_of(e, c->lane_id);
    stage->mono_ns   = e->now.mono_ns;
    return ERR_OK;
}

static risk_limit_value_t value_of(const limit_change_t *c)
{
    return (risk_limit_value_t){
        .scope_type = c->scope_type, .id1 = c->scope_id, .id2 = c->scope_id2, .field = c->field, .value = c->value};
}

static err_t change_set(engine_t *e, const limit_change_t *c)
{
    limit_stage_t *stage = stage_of(e, c->lane_id);
    if (!stage_open(e, c)) {
        return refuse_closed(e, c);
    }
    if (stage->count == LIMIT_SETS_MAX) { /* part of it would be half a change */
        return refuse(e, c, ERR_LIMIT,
                      err_set(ERR_LIMIT, "engine: change %llu has more than %u fields",
                              (unsigned long long)c->change_id, LIMIT_SETS_MAX));
    }
    const risk_limit_value_t v = value_of(c);
    for (uint32_t i = 0; i < stage->count; i++) { /* which of the two was meant, nobody knows */
        const risk_limit_value_t *s = &stage->values[i];
        if (s->scope_type == v.scope_type && s->id1 == v.id1 && s->id2 == v.id2 && s->field == v.field) {
            return refuse(e, c, ERR_EXISTS,
                          err_set(ERR_EXISTS, "engine: change %llu sets field %u of one scope twice",
                                  (unsigned long long)c->change_id, c->field));
        }
    }
    stage->values[stage->count++] = v;
    return ERR_OK;
}

/* The base of a field before the change; of a scope that has no limits yet, nothing. */
static int64_t base_before(const engine_t *e, const risk_limit_value_t *v)
{
    risk_limits_t base;
    int64_t       value = 0;
    if (v->field < RISK_FIELD_COUNT && risk_limits_base(e->risk, (scope_t)v->scope_type, v->id1, v->id2, &base)) {
        memcpy(&value, (const char *)&base + v->field * sizeof value, sizeof value);
    }
    return value;
}

static err_t change_commit(engine_t *e, const limit_change_t *c)
{
    if (!stage_open(e, c)) {
        return refuse_closed(e, c);
    }
    const limit_stage_t stage = *stage_of(e, c->lane_id);
    int64_t             before[LIMIT_SETS_MAX];
    stage_close(stage_of(e, c->lane_id));
    for (uint32_t i = 0; i < stage.count; i++) {
        const risk_limit_value_t *v = &stage.values[i];
        before[i]                   = base_before(e, v);
        if (risk_limit_looser(v->field, before[i], v->value) && !may(e, c->lane_id, LANE_RIGHT_RAISE)) {
            return refuse_right(e, c, LANE_RIGHT_RAISE);
        }
    }
    const err_t err = risk_limits_change(e->risk, stage.values, stage.count);
    if (err) {
        return refuse(e, c, (uint16_t)err, err);
    }
    for (uint32_t i = 0; i < stage.count; i++) {
        const risk_limit_value_t *v = &stage.values[i];
        if (before[i] != v->value) {
            audit_emit(e, (audit_t){.change_id  = c->change_id,
                                    .old_value  = before[i],
                                    .new_value  = v->value,
                                    .scope_id   = v->id1,
                                    .scope_id2  = v->id2,
                                    .user_id    = c->user_id,
                                    .lane_id    = c->lane_id,
                                    .field      = (uint16_t)v->field,
                                    .scope_type = (uint8_t)v->scope_type,
                                    .kind       = AUDIT_LIMIT});
        }
    }
    return ERR_OK;
}

static err_t change_abort(engine_t *e, const limit_change_t *c)
{
    if (!stage_open(e, c)) {
        return refuse_closed(e, c);
    }
    stage_close(stage_of(e, c->lane_id));
    return ERR_OK;
}

/* ---- overrides --------------------------------------------------------------------------------------------------- */

static void override_tell(engine_t *e, const limit_change_t *c, const risk_override_state_t *o, audit_kind_t kind,
                          int64_t from, int64_t to)
{
    audit_emit(e, (audit_t){.change_id  = o->change_id,
                            .old_value  = from,
                            .new_value  = to,
                            .scope_id   = o->raised.id1,
                            .scope_id2  = o->raised.id2,
                            .user_id    = c->user_id,
                            .lane_id    = c->lane_id,
                            .field      = (uint16_t)o->raised.field,
                            .scope_type = (uint8_t)o->raised.scope_type,
                            .kind       = (uint8_t)kind});
}

/* Its end, by a person or by time: what was only asked for leaves everything as it is. */
static void override_over(engine_t *e, const limit_change_t *c, const risk_override_state_t *o)
{
    const int64_t base = o->active ? o->base : o->raised.value;
    const err_t   err  = risk_override_end(e->risk, o->change_id);
    assert(err == ERR_OK); /* it was just found */
    override_tell(e, c, o, AUDIT_OVERRIDE_ENDED, o->raised.value, base);
}

static err_t override_ask(engine_t *e, const limit_change_t *c)
{
    const risk_limit_value_t raised = value_of(c);
    const err_t err = risk_override_ask(e->risk, c->change_id, &raised, c->until_utc_ns, c->user_id, e->now);
    if (err) {
        return refuse(e, c, (uint16_t)err, err);
    }
    audit_t audit   = audit_of(c, AUDIT_OVERRIDE_ASKED);
    audit.old_value = base_before(e, &raised);
    audit_emit(e, audit);
    return ERR_OK;
}

static err_t override_approve(engine_t *e, const limit_change_t *c)
{
    risk_override_state_t o;
    const err_t           err = risk_override_approve(e->risk, c->change_id, c->user_id, e->now);
    if (err) {
        return refuse(e, c, (uint16_t)err, err);
    }
    const bool found = risk_override_find(e->risk, c->change_id, &o);
    assert(found);
    override_tell(e, c, &o, AUDIT_OVERRIDE_APPROVED, o.base, o.raised.value);
    return ERR_OK;
}

static err_t override_revoke(engine_t *e, const limit_change_t *c)
{
    risk_override_state_t o;
    if (!risk_override_find(e->risk, c->change_id, &o)) {
        return refuse(e, c, ERR_NOT_FOUND,
                      err_set(ERR_NOT_FOUND, "engine: no override %llu", (unsigned long long)c->change_id));
    }
    override_over(e, c, &o);
    return ERR_OK;
}

void limit_tick(engine_t *e)
{
    risk_override_state_t o;
    for (uint64_t id = risk_override_due(e->risk, e->now); id != 0; id = risk_override_due(e->risk, e->now)) {
        const bool found = risk_override_find(e->risk, id, &o);
        assert(found);
        override_over(e, &(limit_change_t){.user_id = o.asked_by}, &o);
    }
}

err_t limit_input(engine_t *e, const limit_change_t *c)
{
    if (c->lane_id > e->s->lanes_max) {
        return refuse(e, c, ERR_NOT_FOUND,
                      err_set(ERR_NOT_FOUND, "engine: lane %u, of which there are %u", c->lane_id, e->s->lanes_max));
    }
    const bool     person = c->step == LIMIT_STEP_ASK || c->step == LIMIT_STEP_APPROVE || c->step == LIMIT_STEP_REVOKE;
    const uint16_t right  = c->step == LIMIT_STEP_APPROVE  ? LANE_RIGHT_APPROVE
                            : c->step == LIMIT_STEP_REVOKE ? LANE_RIGHT_APPROVE | LANE_RIGHT_LIMITS
                                                           : LANE_RIGHT_LIMITS;
    if (!may(e, c->lane_id, right) || (person && c->lane_id == 0)) {
        return refuse_right(e, c, right);
    }
    switch ((limit_step_t)c->step) {
    case LIMIT_STEP_BEGIN: return change_begin(e, c);
    case LIMIT_STEP_SET: return change_set(e, c);
    case LIMIT_STEP_COMMIT: return change_commit(e, c);
    case LIMIT_STEP_ABORT: return change_abort(e, c);
    case LIMIT_STEP_ASK: return override_ask(e, c);
    case LIMIT_STEP_APPROVE: return override_approve(e, c);
    case LIMIT_STEP_REVOKE: return override_revoke(e, c);
    default: return refuse(e, c, ERR_ARG, err_set(ERR_ARG, "engine: a change of limits has no step %u", c->step));
    }
}

bool engine_limit(const engine_t *e, scope_t scope_type, uint32_t id1, uint32_t id2, uint32_t field, int64_t *value)
{
    return risk_limit(e->risk, scope_type, id1, id2, field, value);
}

/* ---- OPERATE ----------------------------------------------------------------------------------------------------- */

/* By how much the venue's count of a position is above ours; 0 too while it has not told all. */
static int64_t difference_of(const engine_t *e, uint32_t account, uint32_t id)
{
    const recon_t          *r    = recon_of(e, account, venue_of(e, id));
    const venue_position_t *said = venue_position_of(e, account, id);
    risk_exposure_t         ours = {0};
    risk_exposure(e->risk, account, id, &ours);
    return r->state != RECON_DONE ? 0 : (said->request_id == r->request_id ? said->qty : 0) - ours.pos;
}

/* The venue's count becomes ours: the difference is booked at the mark that is worse for us. */
static err_t settle_position(engine_t *e, uint32_t account, uint32_t id, int64_t difference)
{
    const ins_state_t     *ins  = &e->ins[id];
    const int64_t          px   = difference > 0 ? ins->mark_ask : ins->mark_bid;
    const portfolio_fill_t fill = {.account_id    = account,
                                   .instrument_id = id,
                                   .side          = difference > 0 ? SIDE_BUY : SIDE_SELL,
                                   .qty           = difference > 0 ? difference : -difference,
                                   .px            = px,
                                   .utc_ns        = e->now.utc_ns};
    const err_t            err  = portfolio_fill(e->portfolio, &fill);
    position_t             position;
    if (err) {
        return err;
    }
    const bool booked = risk_fill(e->risk, &ins->ins, account, 0, difference, px);
    assert(booked); /* the account exists */
    if (portfolio_position(e->portfolio, account, id, &position)) {
        position.event_seq = e->s->seq;
        emit(e, MSG_POSITION, &position);
    }
    return ERR_OK;
}

/* 152: a named person takes the venues' figures for ours. */
static err_t settle(engine_t *e, uint32_t account)
{
    if (account == 0 || account > e->s->account_count) {
        return err_set(ERR_NOT_FOUND, "engine: account %u, of which there are %u", account, e->s->account_count);
    }
    const uint64_t *held = held_of(e, account);
    const uint32_t  end  = e->s->instrument_count + 1;
    for (int book = 0; book < 2; book++) { /* all have a price before the first is booked */
        for (uint32_t id = mark_next(held, 1, end); id < end; id = mark_next(held, id + 1, end)) {
            const int64_t difference = difference_of(e, account, id);
            if (difference != 0 && !e->ins[id].marked) {
                return err_set(ERR_STATE, "engine: instrument %s has no price to settle %lld at", e->ins[id].ins.symbol,
                               (long long)difference);
            }
            const err_t err = difference != 0 && book ? settle_position(e, account, id, difference) : ERR_OK;
            if (err) {
                return err;
            }
        }
    }
    return recover_control(
        e, &(control_t){.kind = CONTROL_UNRECONCILED, .scope_type = SCOPE_ACCOUNT, .scope_id = account});
}

err_t operate_input(engine_t *e, const operate_t *op)
{
    const control_t control = {
        .scope_id = op->scope_id, .kind = op->kind, .scope_type = op->scope_type, .value = op->value};
    const limit_change_t by = {.change_id  = op->target,
                               .value      = op->value,
                               .scope_id   = op->scope_id,
                               .user_id    = op->user_id,
                               .lane_id    = op->lane_id,
                               .scope_type = op->scope_type};
    if (op->lane_id > e->s->lanes_max || !may(e, op->lane_id, LANE_RIGHT_OPERATE)) {
        return refuse_right(e, &by, LANE_RIGHT_OPERATE);
    }
    if (op->kind == CONTROL_ALERT_ACK) {
        const err_t err = alert_ack(e, op);
        return err ? refuse(e, &by, (uint16_t)err, err) : ERR_OK;
    }
    const err_t err = op->kind != CONTROL_SETTLE        ? engine_control(e, &control)
                      : op->scope_type == SCOPE_ACCOUNT ? settle(e, op->scope_id)
                                                        : err_set(ERR_ARG, "engine: SETTLE is of an account");
    if (err) {
        return refuse(e, &by, (uint16_t)err, err);
    }
    audit_t audit = audit_of(&by, AUDIT_CONTROL);
    audit.field   = op->kind;
    audit_emit(e, audit);
    return ERR_OK;
}

/* ---- what the gate did, and venues ------------------------------------------------------------------------------- */

static alarm_kind_t alarm_of(uint16_t code)
{
    return code == RISK_VOLATILITY_PAUSE     ? ALARM_VOLATILITY_PAUSE
           : code == RISK_REPEATED_EXECUTION ? ALARM_REPEATED_EXECUTION
                                             : ALARM_REJECT_STORM;
}

void limit_news(engine_t *e)
{
    for (risk_news_t news; risk_news(e->risk, &news);) {
        emit_alarm(e, (alarm_t){.kind          = (uint16_t)alarm_of(news.code),
                                .code          = news.code,
                                .observed      = news.observed,
                                .limit         = news.limit,
                                .account_id    = news.account_id,
                                .instrument_id = news.instrument_id});
        if (news.strategy_id != 0) { /* its open orders are cancelled as with any kill (K1) */
            act_kill(e,
                     &(control_t){
                         .kind = CONTROL_KILL, .scope_type = SCOPE_STRATEGY, .scope_id = news.strategy_id, .value = 1});
        }
    }
}

err_t limit_budget(engine_t *e, const venue_budget_t *budget)
{
    return risk_budget(e->risk, budget, e->now);
}
