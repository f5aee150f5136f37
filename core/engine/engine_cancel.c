/* Cancels of many orders: kills, lanes that closed, mass cancels.
 *
 *   KILL, a lane closes ─▶ walk 0, newest first, a portion with each input; again each second until it finds nothing
 *   MASS_CANCEL         ─▶ a walk of its own over the orders that are open then, once; orders that come later are not in it
 *
 * Orders that the engine holds die first: they are in no venue's hands. Where the venue has a mass cancel and the scope is
 * not one strategy's or one side's, one MASS_CANCEL for account and instrument takes the place of the single ones. */
#include "core/engine/engine_private.h"

#define RETRY_NS NS_PER_S    /* a cancel that was refused or lost is sent again after this; reports of kills */
#define WALK_ROWS_MAX 16384u /* of a walk with one input */

/* ---- scopes ------------------------------------------------------------------------------------------------------ */
mass_cancel_t cancel_scope(const control_t *control)
{
    const uint32_t id = control->scope_id, second = (uint32_t)(control->value < 0 ? -control->value : control->value);
    switch ((scope_t)control->scope_type) {
    case SCOPE_TENANT: return (mass_cancel_t){.tenant_id = id};
    case SCOPE_ACCOUNT: return (mass_cancel_t){.account_id = id};
    case SCOPE_STRATEGY: return (mass_cancel_t){.strategy_id = id};
    case SCOPE_INSTRUMENT: return (mass_cancel_t){.instrument_id = id};
    case SCOPE_VENUE: return (mass_cancel_t){.venue_id = (uint16_t)id};
    case SCOPE_ACCOUNT_INSTRUMENT: return (mass_cancel_t){.account_id = id, .instrument_id = second};
    case SCOPE_STRATEGY_INSTRUMENT: return (mass_cancel_t){.strategy_id = id, .instrument_id = second};
    case SCOPE_ACCOUNT_VENUE: return (mass_cancel_t){.account_id = id, .venue_id = (uint16_t)second};
    default: return (mass_cancel_t){0}; /* GLOBAL: everything */
    }
}

static bool fits(uint32_t wanted, uint32_t is)
{
    return wanted == 0 || wanted == is;
}

static bool in_scope(const engine_t *e, const mass_cancel_t *m, const order_t *o)
{
    return fits(m->tenant_id, o->tenant_id) && fits(m->account_id, o->account_id) &&
           fits(m->strategy_id, o->strategy_id) && fits(m->instrument_id, o->instrument_id) && fits(m->side, o->side) &&
           fits(m->venue_id, venue_of(e, o->instrument_id));
}

/* Orders in scope that are open, or not known to be dead. O(rows): for what a person asks, and a report a second. */
static uint32_t count_open(const engine_t *e, const mass_cancel_t *m)
{
    uint32_t       count = 0;
    const uint32_t rows  = order_rows(e->orders);
    for (uint32_t row = 0; row < rows; row++) {
        const order_t *o = order_at(e->orders, row);
        count += order_is_open(o) && in_scope(e, m, o);
    }
    return count;
}

/* What a client has open in scope: an order that the engine holds is one, whatever works for it. */
static uint32_t count_asked(const engine_t *e, const mass_cancel_t *m)
{
    uint32_t       count = held_open_in(e, m);
    const uint32_t rows  = order_rows(e->orders);
    for (uint32_t row = 0; row < rows; row++) {
        const order_t *o = order_at(e->orders, row);
        count += order_is_open(o) && in_scope(e, m, o) && !held_works(e, o->cl_ord_id);
    }
    return count;
}

/* The engine's own closing orders (engine_flatten.c) live for a moment, and no kill is against them. */
static bool closes(const order_t *o)
{
    return cl_ord_id_origin(o->cl_ord_id) == ORIGIN_ENGINE && (o->exec_inst & EXEC_INST_REDUCE_ONLY) != 0 &&
           o->tif == TIF_IOC;
}

/* ---- one order, or all of an account in an instrument --------------------------------------------------------------- */
void act_cancel(engine_t *e, const order_t *o)
{
    risk_out_t        result;
    const order_req_t req = {.cl_ord_id       = cl_ord_id_make(e->s->boot.epoch, ORIGIN_ENGINE, ++e->s->minted),
                             .orig_cl_ord_id  = o->cl_ord_id,
                             .corr_hi         = o->corr_hi,
                             .corr_lo         = o->corr_lo,
                             .tenant_id       = o->tenant_id,
                             .account_id      = o->account_id,
                             .strategy_id     = o->strategy_id,
                             .instrument_id   = o->instrument_id,
                             .created_mono_ns = e->now.mono_ns,
                             .action          = ORDER_ACTION_CANCEL};
    act_send(e, &req, RISK_MODE_ORDER, NULL, &result);
}

static void cancel_side(engine_t *e, uint32_t account_id, uint32_t instrument_id, side_t side)
{
    uint32_t row = order_side_first(e->orders, instrument_id, side);
    for (; row != ORDER_NONE; row = order_side_next(e->orders, row)) {
        const order_t *o = order_at(e->orders, row);
        if (o->account_id == account_id && !(o->flags & ORDER_PENDING_CANCEL) && !closes(o)) {
            order_cancel_sent(e->orders, row, e->now);
        }
    }
}

static void cancel_native(engine_t *e, const order_t *o)
{
    const uint32_t      account_id = o->account_id, instrument_id = o->instrument_id;
    const mass_cancel_t out = {.request_id    = cl_ord_id_make(e->s->boot.epoch, ORIGIN_ENGINE, ++e->s->minted),
                               .tenant_id     = o->tenant_id,
                               .account_id    = account_id,
                               .instrument_id = instrument_id,
                               .venue_id      = (uint16_t)venue_of(e, instrument_id)};
    cancel_side(e, account_id, instrument_id, SIDE_BUY);
    cancel_side(e, account_id, instrument_id, SIDE_SELL);
    emit(e, MSG_MASS_CANCEL, &out);
}

/* whole: the scope takes every order of an account in an instrument. */
static void cancel_one(engine_t *e, const order_t *o, bool whole)
{
    if (whole && capability_offers(act_venue(e, venue_of(e, o->instrument_id)), VENUE_MASS_CANCEL)) {
        cancel_native(e, o);
    } else {
        act_cancel(e, o);
    }
}

static bool takes_whole(const mass_cancel_t *m)
{
    return m->strategy_id == 0 && m->side == SIDE_NONE;
}

/* ---- kills and lanes: walk 0 ------------------------------------------------------------------------------------- */
static void walk_begin(engine_t *e)
{
    act_state_t *a = &e->s->act;
    order_walk_begin(e->orders, 0);
    a->walking      = 1;
    a->walk_anew    = 0;
    a->walk_mono_ns = e->now.mono_ns;
    a->lanes_left   = 0;
    a->kills_left   = 0;
}

/* The kills and lanes that an order falls under; *whole: one of the kills takes all of its account and instrument. */
static bool walk_due(engine_t *e, const order_t *o, bool *whole)
{
    act_state_t *a     = &e->s->act;
    uint64_t     kills = 0;
    *whole             = false;
    for (uint32_t k = 0; k < e->s->kill_count; k++) {
        const mass_cancel_t scope = cancel_scope(&e->s->kills[k]);
        if (in_scope(e, &scope, o)) {
            kills |= 1ull << k;
            *whole |= takes_whole(&scope);
        }
    }
    a->kills_left |= kills;
    return lane_sweeps(e, o, &a->lanes_left) || kills != 0;
}

static void walk_held(engine_t *e, uint32_t *budget)
{
    act_state_t *a = &e->s->act;
    for (uint32_t k = 0; k < e->s->kill_count; k++) {
        const mass_cancel_t scope = cancel_scope(&e->s->kills[k]);
        if (a->kills_open >> k & 1 && held_cancel(e, &scope, 0, budget) > 0) {
            a->kills_left |= 1ull << k;
        }
    }
    for (uint32_t i = 0; i < e->s->lanes_max; i++) {
        const lane_slot_t  *slot  = &e->s->lanes[i];
        const mass_cancel_t scope = {.strategy_id = slot->lane.strategy_id};
        if (e->s->lanes_swept >> i & 1 && held_cancel(e, &scope, slot->sweep_mark, budget) > 0) {
            a->lanes_left |= 1u << i;
        }
    }
}

static void walk_on(engine_t *e, uint32_t *budget)
{
    act_state_t *a = &e->s->act;
    walk_held(e, budget);
    for (uint32_t rows = 0; rows<WALK_ROWS_MAX && * budget> 0; rows++) {
        const uint32_t row = order_walk(e->orders, 0);
        if (row == ORDER_NONE) {
            a->walking    = 0;
            a->kills_open = a->kills_left;
            lane_swept(e, a->lanes_left);
            return;
        }
        const order_t *o     = order_at(e->orders, row);
        const bool     asked = o->cancel_mono_ns != 0 && e->now.mono_ns - o->cancel_mono_ns < RETRY_NS;
        bool           whole;
        if (!order_is_open(o) || closes(o)) {
            continue;
        }
        if (walk_due(e, o, &whole) && !asked && !(o->flags & ORDER_PENDING_CANCEL)) {
            cancel_one(e, o, whole);
            (*budget)--;
        }
    }
}

/* ---- mass cancels ------------------------------------------------------------------------------------------------ */
static void mass_on(engine_t *e, uint32_t i, uint32_t *budget)
{
    mass_cancel_t *m = &e->s->act.masses[i];
    if (held_cancel(e, m, 0, budget) > 0 && *budget == 0) {
        return;
    }
    for (uint32_t rows = 0; rows<WALK_ROWS_MAX && * budget> 0; rows++) {
        const uint32_t row = order_walk(e->orders, i + 1);
        if (row == ORDER_NONE) {
            *m = (mass_cancel_t){0};
            e->s->act.mass_count--;
            return;
        }
        const order_t *o = order_at(e->orders, row);
        if (order_is_open(o) && in_scope(e, m, o) && !(o->flags & ORDER_PENDING_CANCEL)) {
            cancel_one(e, o, takes_whole(m));
            (*budget)--;
        }
    }
}

void act_sweep(engine_t *e)
{
    act_state_t *a      = &e->s->act;
    uint32_t     budget = ENGINE_SWEEP_MAX;
    if (a->kills_open | e->s->lanes_swept) {
        const bool again = !a->walking && e->now.mono_ns - a->walk_mono_ns >= RETRY_NS;
        if (again || a->walk_anew) {
            walk_begin(e);
        }
        if (a->walking) {
            walk_on(e, &budget);
        }
    }
    for (uint32_t i = 0; a->mass_count > 0 && i < ENGINE_MASS_MAX; i++) {
        if (a->masses[i].request_id != 0) {
            mass_on(e, i, &budget);
        }
    }
}

static err_t mass_check(const engine_t *e, const mass_cancel_t *m)
{
    if (m->request_id == 0 || m->side > SIDE_SELL || m->reserved != 0) {
        return err_set(ERR_ARG, "engine: mass cancel %llu of side %u: it has no id, or no such side",
                       (unsigned long long)m->request_id, m->side);
    }
    if (m->account_id > e->s->accounts_max || (m->instrument_id != 0 && !ins_of(e, m->instrument_id)) ||
        m->venue_id > e->s->venues_max || m->strategy_id > e->s->strategy_count + e->s->lanes_max) {
        return err_set(
            ERR_NOT_FOUND,
            "engine: mass cancel %llu of account %u, strategy %u, instrument %u, venue %u: there are %u, %u, "
            "%u and %u",
            (unsigned long long)m->request_id, m->account_id, m->strategy_id, m->instrument_id, m->venue_id,
            e->s->accounts_max, e->s->strategy_count + e->s->lanes_max, e->s->instrument_count, e->s->venues_max);
    }
    return ERR_OK;
}

err_t act_mass_cancel(engine_t *e, const mass_cancel_t *req)
{
    act_state_t *a    = &e->s->act;
    uint32_t     free = 0;
    const err_t  err  = mass_check(e, req);
    if (err) {
        return err;
    }
    while (free < ENGINE_MASS_MAX && a->masses[free].request_id != 0) {
        free++;
    }
    const bool      room    = free < ENGINE_MASS_MAX;
    const verdict_t verdict = {.cl_ord_id     = req->request_id,
                               .order_seq     = e->s->seq,
                               .observed      = room ? count_asked(e, req) : ENGINE_MASS_MAX,
                               .limit         = room ? 0 : ENGINE_MASS_MAX,
                               .engine_utc_ns = e->now.utc_ns,
                               .instrument_id = req->instrument_id,
                               .account_id    = req->account_id,
                               .strategy_id   = cl_ord_id_origin(req->request_id),
                               .limit_version = risk_limit_version(e->risk),
                               .code          = room ? RISK_ACCEPTED : RISK_RING_FULL,
                               .action        = ORDER_ACTION_CANCEL};
    emit(e, MSG_VERDICT, &verdict);
    if (room) {
        a->masses[free] = *req;
        a->mass_count++;
        order_walk_begin(e->orders, free + 1);
    }
    return ERR_OK;
}

/* ---- kills ------------------------------------------------------------------------------------------------------- */
static uint16_t kill_code(scope_t scope_type)
{
    switch (scope_type) {
    case SCOPE_TENANT: return RISK_KILL_TENANT;
    case SCOPE_ACCOUNT:
    case SCOPE_ACCOUNT_INSTRUMENT: return RISK_KILL_ACCOUNT;
    case SCOPE_STRATEGY:
    case SCOPE_STRATEGY_INSTRUMENT: return RISK_KILL_STRATEGY;
    case SCOPE_VENUE:
    case SCOPE_ACCOUNT_VENUE: return RISK_KILL_VENUE;
    case SCOPE_INSTRUMENT: return RISK_KILL_INSTRUMENT;
    default: return RISK_KILL_GLOBAL;
    }
}

static void kill_tell(engine_t *e, uint32_t k)
{
    const control_t    *kill  = &e->s->kills[k];
    const mass_cancel_t scope = cancel_scope(kill);
    const uint32_t      open  = count_open(e, &scope);
    emit_alarm(e, (alarm_t){.kind          = ALARM_KILL,
                            .code          = kill_code((scope_t)kill->scope_type),
                            .observed      = open,
                            .limit         = kill->scope_id,
                            .account_id    = scope.account_id,
                            .instrument_id = scope.instrument_id});
    if (open == 0) {
        e->s->act.kills_open &= ~(1ull << k);
    }
}

void cancel_tick(engine_t *e)
{
    act_state_t *a = &e->s->act;
    if (a->kills_open == 0 || e->now.mono_ns - a->told_mono_ns < RETRY_NS) {
        return;
    }
    a->told_mono_ns = e->now.mono_ns;
    for (uint32_t k = 0; k < e->s->kill_count; k++) {
        if (a->kills_open >> k & 1) {
            kill_tell(e, k);
        }
    }
}

static void kill_begin(engine_t *e, uint32_t k)
{
    act_state_t *a = &e->s->act;
    a->kills_open |= 1ull << k;
    a->walk_anew    = 1;
    a->told_mono_ns = e->now.mono_ns;
    kill_tell(e, k);
    a->kills_open |= 1ull << k; /* the walk, and not the count, looks at orders that are held */
}

static void kill_end(engine_t *e, uint32_t k)
{
    act_state_t   *a    = &e->s->act;
    const uint32_t last = --e->s->kill_count;
    const uint64_t bits = a->kills_open >> last & 1;
    a->kills_open       = (a->kills_open & ~(1ull << k | 1ull << last)) | (k == last ? 0 : bits << k);
    a->walk_anew        = a->kills_open != 0; /* the walk under way counts by places */
    e->s->kills[k]      = e->s->kills[last];
    e->s->kills[last]   = (control_t){0};
}

void act_kill(engine_t *e, const control_t *given)
{
    const bool pair = given->scope_type == SCOPE_ACCOUNT_INSTRUMENT || given->scope_type == SCOPE_STRATEGY_INSTRUMENT ||
                      given->scope_type == SCOPE_ACCOUNT_VENUE;
    const bool      set   = given->value > 0;
    const control_t named = {.kind       = CONTROL_KILL,
                             .scope_type = given->scope_type,
                             .scope_id   = given->scope_type == SCOPE_GLOBAL ? 0 : given->scope_id,
                             .value      = !pair ? 1
                                           : set ? given->value
                                                 : -given->value};
    uint32_t        at    = 0;
    while (at < e->s->kill_count && memcmp(&e->s->kills[at], &named, sizeof named) != 0) {
        at++;
    }
    if (set && at < e->s->kill_count) {
        kill_begin(e, at);
    } else if (set && at < ENGINE_KILLS_MAX) {
        e->s->kills[e->s->kill_count++] = named;
        kill_begin(e, at);
    } else if (set) { /* more scopes than we can name: all of them */
        e->s->act.kills_open = 0;
        e->s->kill_count     = 1;
        e->s->kills[0]       = (control_t){.kind = CONTROL_KILL, .scope_type = SCOPE_GLOBAL, .value = 1};
        risk_control(e->risk, &e->s->kills[0]);
        kill_begin(e, 0);
    } else if (at < e->s->kill_count) {
        kill_end(e, at);
    }
}
