/* Lives of an engine, the records that set it up, and what it asks venues to know where it stands.
 *
 *   BOOT ──▶ accounts RECOVERING (151), links down ── VENUE_LINK 1 ──▶ MASS_STATUS_REQUEST of each account and
 *            ORDER_STATUS_REQUEST of each open order there ── answers, MASS_STATUS END, no order UNKNOWN ──▶ 151 lifted
 *
 * The answers come in the venue's order on one stream with the fills, so at END our position must be the venue's: what
 * it is not is a difference (152), and goes when a later END finds none. */
#include "core/engine/engine_private.h"

#define RECONCILE_NS (60 * NS_PER_S)       /* positions are compared at least so often */
#define SINCE_MARGIN_NS (10 * NS_PER_S)    /* venues may tell fills out of order by this much */
#define ACCOUNT_EXP_MAX 12                 /* as of instruments */
#define LOST_ANSWERS 2                     /* not found so often in a row */
#define DIFFERENCES_MAX ENGINE_QUERIES_MAX /* alarms of one END */

/* ---- state of an account ----------------------------------------------------------------------------------------- */
static void tell_recovering(engine_t *e, uint32_t account)
{
    const account_state_t *a     = &e->accounts[account];
    control_t              state = {.kind = CONTROL_RECOVERING, .scope_type = SCOPE_ACCOUNT, .scope_id = account};
    state.value                  = a->recovering | a->held;
    risk_control(e->risk, &state);
}

static void tell_unreconciled(engine_t *e, uint32_t account)
{
    const control_t state = {.kind       = CONTROL_UNRECONCILED,
                             .scope_type = SCOPE_ACCOUNT,
                             .scope_id   = account,
                             .value      = e->accounts[account].unreconciled != 0};
    risk_control(e->risk, &state);
}

static void recovering_begin(engine_t *e, uint32_t account)
{
    e->s->accounts_wait             = 1;
    e->accounts[account].recovering = 1;
    tell_recovering(e, account);
}

void recover_unreconciled(engine_t *e, uint32_t account_id, uint8_t why)
{
    if (account_id >= 1 && account_id <= e->s->accounts_max) {
        e->accounts[account_id].unreconciled |= why;
        tell_unreconciled(e, account_id);
    }
}

err_t recover_control(engine_t *e, const control_t *control)
{
    const bool named = control->scope_type == SCOPE_ACCOUNT && control->scope_id >= 1 &&
                       control->scope_id <= e->s->accounts_max && (control->value == 0 || control->value == 1);
    if (!named) {
        return risk_control(e->risk, control); /* which says what is wrong with it */
    }
    account_state_t *a = &e->accounts[control->scope_id];
    if (control->kind == CONTROL_RECOVERING) {
        a->held = control->value != 0;
        tell_recovering(e, control->scope_id);
        return ERR_OK;
    }
    if (control->value) {
        recover_unreconciled(e, control->scope_id, UNRECONCILED_NAMED);
        return ERR_OK;
    }
    if (a->unreconciled & UNRECONCILED_UNBOOKED) {
        return err_set(ERR_STATE, "engine: account %u holds a fill that was not booked as money; it stays unreconciled",
                       control->scope_id);
    }
    a->unreconciled = 0;
    for (uint32_t venue = 1; venue <= e->s->venues_max; venue++) {
        recon_of(e, control->scope_id, venue)->differs = 0;
    }
    tell_unreconciled(e, control->scope_id);
    return ERR_OK;
}

/* ---- lives and set-up -------------------------------------------------------------------------------------------- */

/* Every change of a recon's state, but to ASKED and back. */
static void recon_state(engine_t *e, recon_t *r, recon_state_t state, int64_t again_ns)
{
    e->s->recons_due -= r->state == RECON_DUE;
    e->s->recons_due += state == RECON_DUE;
    r->state        = (uint8_t)state;
    e->s->recons_ns = min_i64(e->s->recons_ns, again_ns);
}

/* Venues that were ever linked, from 1: nobody was asked at any other. 0: no more. */
static uint32_t venue_next(const engine_t *e, uint32_t venue)
{
    do {
        venue++;
    } while (venue <= e->s->venues_max && !(e->s->venues_linked >> (venue < 64 ? venue : 0) & 1));
    return venue <= e->s->venues_max ? venue : 0;
}

void recover_waits(engine_t *e, uint32_t row)
{
    mark_set(e->wait, row);
    e->s->orders_wait = 1;
}

/* From here on fills may be missed, until an answer is complete. */
static void since_hold(recon_t *r)
{
    if (r->state == RECON_DONE) {
        r->since_ns = max_i64(0, r->newest_ns - SINCE_MARGIN_NS);
    }
}

err_t recover_boot(engine_t *e, const boot_t *boot)
{
    if (boot->epoch <= e->s->boot.epoch || boot->epoch > CL_ORD_ID_EPOCH_MAX || (boot->flags & ~1u) != 0) {
        return err_set(ERR_ARG, "engine: BOOT with epoch %u, which must be in %u..%u, and flags %#x, at most %#x",
                       boot->epoch, e->s->boot.epoch + 1, CL_ORD_ID_EPOCH_MAX, boot->flags,
                       (unsigned)BOOT_ORDERS_UNKNOWN);
    }
    e->s->boot = *boot;
    for (uint32_t venue = 1; venue <= e->s->venues_max; venue++) {
        const control_kind_t kinds[] = {CONTROL_VENUE_LINK, CONTROL_RING_FULL}; /* the new ring is empty */
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            risk_control(e->risk,
                         &(control_t){.kind = (uint8_t)kinds[i], .scope_type = SCOPE_VENUE, .scope_id = venue});
        }
        recover_link(e, venue, false);
    }
    for (uint32_t account = 1; account <= e->s->account_count; account++) {
        recovering_begin(e, account);
    }
    if (boot->flags & BOOT_ORDERS_UNKNOWN) {
        for (uint32_t row = order_first(e->orders); row != ORDER_NONE; row = order_next(e->orders, row)) {
            order_unknown(e->orders, row);
            recover_waits(e, row);
        }
    }
    lane_restart(e);
    return ERR_OK;
}

/* The account of a strategy has its currency now. */
static void strategy_sees(engine_t *e, uint32_t slot)
{
    for (uint32_t id = 1; id <= e->s->instrument_count; id++) {
        e->ins[id].sees |= (uint64_t)act_sees(e, slot, &e->ins[id]) << slot;
    }
}

err_t recover_account(engine_t *e, const account_def_t *def)
{
    engine_state_t *s = e->s;
    if (def->tenant_id != s->tenant_id || def->money_exp < 0 || def->money_exp > ACCOUNT_EXP_MAX) {
        return err_set(ERR_ARG, "engine: account %u of tenant %u (this is tenant %u), amounts with %d decimals (0..%d)",
                       def->account_id, def->tenant_id, s->tenant_id, def->money_exp, ACCOUNT_EXP_MAX);
    }
    if (def->account_id >= 1 && def->account_id <= s->account_count) {
        return portfolio_account_define(e->portfolio, def);
    }
    if (def->account_id != s->account_count + 1) {
        return err_set(ERR_ARG, "engine: account %u, the next one is %u", def->account_id, s->account_count + 1);
    }
    err_t err = portfolio_account_define(e->portfolio, def);
    if (err) {
        return err;
    }
    const risk_account_cfg_t rights = {.ccy       = def->ccy,
                                       .tenant_id = def->tenant_id,
                                       .money_exp = def->money_exp,
                                       .may_trade = 1,
                                       .may_short = 1,
                                       .funds     = def->flags & ACCOUNT_MARGIN ? RISK_FUNDS_MARGIN : RISK_FUNDS_CASH,
                                       .hedging   = (def->flags & ACCOUNT_HEDGING) != 0,
                                       .ord_types = (1u << ORD_TYPE_COUNT) - 2, /* every type that there is */
                                       .venues    = ~1ull};
    err                             = risk_account_open(e->risk, def->account_id, &rights);
    assert(err == ERR_OK); /* id and tenant are good, and it has not been there */
    account_state_t *a = &e->accounts[def->account_id];
    a->ccy             = def->ccy;
    a->money_exp       = def->money_exp;
    a->open            = 1;
    s->account_count++;
    money_judge(e, def->account_id);
    for (uint32_t i = 0; i < s->strategy_count; i++) {
        if (s->strategies[i].cfg.account_id == def->account_id) {
            strategy_sees(e, i);
        }
    }
    return ERR_OK;
}

#define LIMITS_OFF offsetof(limit_set_t, max_qty)
_Static_assert(sizeof(limit_set_t) - LIMITS_OFF == RISK_SETUP_FIELDS * sizeof(int64_t) &&
                   offsetof(limit_set_t, concentration_bp) - LIMITS_OFF == offsetof(risk_limits_t, concentration_bp) &&
                   offsetof(limit_set_t, max_drawdown) - LIMITS_OFF == offsetof(risk_limits_t, max_drawdown) &&
                   offsetof(limit_set_t, rate_n) - LIMITS_OFF == offsetof(risk_limits_t, rate_n) &&
                   offsetof(limit_set_t, value_w_max) - LIMITS_OFF == offsetof(risk_limits_t, value_w_max) &&
                   offsetof(limit_set_t, dup_w_ns) - LIMITS_OFF == offsetof(risk_limits_t, dup_w_ns),
               "the fields of a LIMIT_SET are the first of risk_limits_t, in its order");

err_t recover_limits(engine_t *e, const limit_set_t *set)
{
    risk_limits_t limits = {0};
    const bool    scope  = set->scope_type < SCOPE_COUNT;
    if (scope && !risk_limits_base(e->risk, (scope_t)set->scope_type, set->scope_id, set->scope_id2, &limits)) {
        risk_limits_default((scope_t)set->scope_type, &limits); /* for the fields that it does not say */
    }
    memcpy(&limits, (const char *)set + LIMITS_OFF, RISK_SETUP_FIELDS * sizeof(int64_t));
    return risk_limits_set(e->risk, (scope_t)set->scope_type, set->scope_id, set->scope_id2, &limits);
}

/* ---- reconciliation ---------------------------------------------------------------------------------------------- */
static risk_venue_state_t venue_state(const engine_t *e, uint32_t venue)
{
    risk_venue_state_t state = {0};
    risk_venue_state(e->risk, venue, &state);
    return state;
}

/* The link came up: what was on its way to the venue or back may be lost, so it is asked about everything; or it fell.
 * Until the answers are there nothing new is begun (151). */
void recover_link(engine_t *e, uint32_t venue, bool up)
{
    for (uint32_t account = 1; account <= e->s->account_count; account++) {
        recon_t *r = recon_of(e, account, venue);
        since_hold(r);
        recon_state(e, r, up ? RECON_DUE : RECON_NONE, DUE_NEVER);
        if (up) {
            recovering_begin(e, account);
        }
    }
    if (!up) {
        return;
    }
    e->s->venues_linked |= 1ull << (venue < 64 ? venue : 0);
    for (uint32_t row = order_first(e->orders); row != ORDER_NONE; row = order_next(e->orders, row)) {
        const order_t *o = order_at(e->orders, row);
        if (venue_of(e, o->instrument_id) != venue) {
            continue;
        }
        if (!(o->flags & ORDER_ACKED) || (o->flags & ORDER_PENDING_CANCEL) || o->replaces) {
            order_unknown(e->orders, row); /* a request about it may have been lost */
        }
        order_ask(e->orders, row);
        recover_waits(e, row);
    }
    e->s->queries_due = 1;
}

void recover_executed(engine_t *e, uint32_t account_id, uint32_t instrument_id, int64_t ts_event_ns)
{
    if (account_id >= 1 && account_id <= e->s->accounts_max && ins_of(e, instrument_id)) {
        recon_t *r   = recon_of(e, account_id, venue_of(e, instrument_id));
        r->newest_ns = max_i64(r->newest_ns, min_i64(ts_event_ns, e->now.utc_ns)); /* no clock of a venue hides fills */
        mark_set(held_of(e, account_id), instrument_id);
    }
}

static bool reconciled(const engine_t *e, uint32_t account)
{
    bool done = false, open = false;
    for (uint32_t venue = venue_next(e, 0); venue; venue = venue_next(e, venue)) {
        const uint8_t state = recon_of(e, account, venue)->state;
        done |= state == RECON_DONE;
        open |= state == RECON_DUE || state == RECON_ASKED || state == RECON_FAILED;
    }
    return done && !open;
}

/* An order that the venue showed once and does not find any more may have been filled or canceled without our hearing of
 * it: it counts in the exposure, is asked about on, and a person has to look (152), for nothing may ever come. */
static void judge_lost(engine_t *e, uint32_t account)
{
    account_state_t *a   = &e->accounts[account];
    const bool       was = a->unreconciled & UNRECONCILED_LOST;
    if (was == (a->lost > 0)) {
        return;
    }
    a->unreconciled ^= UNRECONCILED_LOST;
    tell_unreconciled(e, account);
    if (!was) {
        emit_alarm(e, (alarm_t){.kind       = ALARM_ACCOUNT_UNRECONCILED,
                                .code       = RISK_UNRECONCILED,
                                .account_id = account,
                                .observed   = a->lost});
    }
}

/* Count the orders of each account whose state is not known, and ask about them again when that is due. */
static void waiting_count(engine_t *e, bool again)
{
    const uint32_t rows  = e->s->orders_wait ? order_rows(e->orders) : 0;
    bool           waits = false;
    for (uint32_t row = mark_next(e->wait, 0, rows); row < rows; row = mark_next(e->wait, row + 1, rows)) {
        const order_t *o = order_at(e->orders, row);
        if (!order_waits(o)) {
            mark_clear(e->wait, row);
            continue;
        }
        waits = true;
        e->accounts[o->account_id].waiting++;
        e->accounts[o->account_id].lost += (o->flags & ORDER_ACKED) && o->not_found >= LOST_ANSWERS;
        if (again && !(o->flags & ORDER_ASK) && venue_state(e, venue_of(e, o->instrument_id)).link_up &&
            (o->asked_mono_ns == 0 || e->now.mono_ns - o->asked_mono_ns >= ASK_AGAIN_NS)) {
            order_ask(e->orders, row);
            e->s->queries_due = 1;
        }
    }
    e->s->orders_wait = waits;
}

/* again: ask again, those asked long enough ago. Lift 151 from accounts that have no order of which the state is not known
 * and whose venues have answered. */
static void recovering_judge(engine_t *e, bool again)
{
    bool wait = false;
    if (!e->s->orders_wait && !e->s->accounts_wait) {
        return;
    }
    for (uint32_t account = 1; account <= e->s->account_count; account++) {
        e->accounts[account].waiting = 0;
        e->accounts[account].lost    = 0;
    }
    waiting_count(e, again);
    for (uint32_t account = 1; account <= e->s->account_count; account++) {
        account_state_t *a = &e->accounts[account];
        judge_lost(e, account);
        if (a->recovering && a->waiting == a->lost && reconciled(e, account)) {
            a->recovering = 0;
            tell_recovering(e, account);
        }
        wait |= a->recovering || a->waiting;
    }
    e->s->accounts_wait = wait;
}

static void difference_alarm(engine_t *e, uint32_t account, uint32_t instrument_id, int64_t ours, int64_t theirs)
{
    emit_alarm(e, (alarm_t){.kind          = ALARM_ACCOUNT_UNRECONCILED,
                            .code          = RISK_UNRECONCILED,
                            .account_id    = account,
                            .instrument_id = instrument_id,
                            .observed      = ours,
                            .limit         = theirs});
}

/* The venue has told all: compare. */
static void positions_compare(engine_t *e, recon_t *r, uint32_t account, uint32_t venue)
{
    uint32_t differences = r->stranger;
    if (r->stranger) {
        difference_alarm(e, account, r->stranger_id, 0, r->stranger_qty);
    }
    uint64_t      *held = held_of(e, account);
    const uint32_t end  = e->s->instrument_count + 1;
    for (uint32_t id = mark_next(held, 1, end); id < end; id = mark_next(held, id + 1, end)) {
        const venue_position_t *said   = venue_position_of(e, account, id);
        const int64_t           theirs = said->request_id == r->request_id ? said->qty : 0; /* not named: flat */
        risk_exposure_t         ours   = {0};
        if (venue_of(e, id) != venue) {
            continue;
        }
        risk_exposure(e->risk, account, id, &ours);
        if (ours.pos != theirs && differences++ < DIFFERENCES_MAX) {
            difference_alarm(e, account, id, ours.pos, theirs);
        } else if (ours.pos == 0 && theirs == 0) {
            mark_clear(held, id);
        }
    }
    r->differs   = differences != 0;
    bool differs = false;
    for (uint32_t v = venue_next(e, 0); v; v = venue_next(e, v)) {
        differs |= recon_of(e, account, v)->differs;
    }
    account_state_t *a = &e->accounts[account];
    a->unreconciled = (uint8_t)((a->unreconciled & ~UNRECONCILED_DIFFERENCE) | (differs ? UNRECONCILED_DIFFERENCE : 0));
    tell_unreconciled(e, account);
}

err_t recover_mass_status(engine_t *e, const mass_status_t *m)
{
    if (m->kind == MASS_STATUS_NONE || m->kind >= MASS_STATUS_KIND_COUNT) {
        return err_set(ERR_ARG, "engine: MASS_STATUS of kind %u, which does not exist", m->kind);
    }
    if (m->account_id == 0 || m->account_id > e->s->account_count || m->venue_id == 0 ||
        m->venue_id > e->s->venues_max) {
        return err_set(ERR_NOT_FOUND, "engine: MASS_STATUS of account %u (of %u) at venue %u (of %u)", m->account_id,
                       e->s->account_count, m->venue_id, e->s->venues_max);
    }
    recon_t *r = recon_of(e, m->account_id, m->venue_id);
    if (r->state != RECON_ASKED || m->request_id != r->request_id) {
        return ERR_OK; /* the answer to a question that is not open any more */
    }
    switch ((mass_status_kind_t)m->kind) {
    case MASS_STATUS_POSITION:
        if (ins_of(e, m->instrument_id) && venue_of(e, m->instrument_id) == m->venue_id) {
            *venue_position_of(e, m->account_id, m->instrument_id) =
                (venue_position_t){.request_id = m->request_id, .qty = m->qty};
            mark_set(held_of(e, m->account_id), m->instrument_id);
        } else if (m->qty) {
            r->stranger     = 1;
            r->stranger_id  = m->instrument_id;
            r->stranger_qty = m->qty;
        }
        break;
    case MASS_STATUS_END:
        recon_state(e, r, RECON_DONE, r->mono_ns + RECONCILE_NS);
        positions_compare(e, r, m->account_id, m->venue_id);
        recovering_judge(e, false);
        break;
    case MASS_STATUS_FAILED:
        r->mono_ns = e->now.mono_ns;
        recon_state(e, r, RECON_FAILED, r->mono_ns + ASK_AGAIN_NS);
        break;
    default: break; /* BALANCE: informative */
    }
    return ERR_OK;
}

/* ---- questions --------------------------------------------------------------------------------------------------- */
static bool book_needs_snapshot(view_t book)
{
    return view_health(book) == FEED_BROKEN || view_health(book) == FEED_RECOVERING;
}

void recover_book(engine_t *e, uint32_t id)
{
    ins_state_t *ins = &e->ins[id];
    if (book_needs_snapshot(market_of(e, id)) &&
        (!ins->asked || e->now.mono_ns - ins->asked_mono_ns >= ASK_AGAIN_NS)) { /* else with a TICK */
        ins->ask = 1;
        mark_set(e->ask, id);
        e->s->queries_due = 1;
    }
}

/* Answers that are old, and questions that failed: to be asked again. */
static void recons_turn(engine_t *e)
{
    if (e->now.mono_ns < e->s->recons_ns) {
        return;
    }
    e->s->recons_ns = DUE_NEVER;
    for (uint32_t account = 1; account <= e->s->account_count; account++) {
        for (uint32_t venue = venue_next(e, 0); venue; venue = venue_next(e, venue)) {
            recon_t *r = recon_of(e, account, venue);
            if (r->state != RECON_FAILED && r->state != RECON_DONE) {
                continue;
            }
            const int64_t again = r->mono_ns + (r->state == RECON_FAILED ? ASK_AGAIN_NS : RECONCILE_NS);
            if (e->now.mono_ns >= again) {
                since_hold(r);
                recon_state(e, r, RECON_DUE, DUE_NEVER);
                e->s->queries_due = 1;
            } else {
                e->s->recons_ns = min_i64(e->s->recons_ns, again);
            }
        }
    }
}

void recover_tick(engine_t *e)
{
    recons_turn(e);
    recovering_judge(e, true);
    e->s->queries_due |= e->s->queries_held;
}

static void ask_mass_status(engine_t *e, uint32_t account, uint32_t venue)
{
    recon_t *r = recon_of(e, account, venue);
    recon_state(e, r, RECON_ASKED, DUE_NEVER);
    r->stranger                 = 0;
    r->mono_ns                  = e->now.mono_ns;
    r->request_id               = ++e->s->requests;
    const mass_status_req_t req = {
        .request_id = r->request_id, .since_utc_ns = r->since_ns, .account_id = account, .venue_id = (uint16_t)venue};
    emit(e, MSG_MASS_STATUS_REQUEST, &req);
}

static void ask_order(engine_t *e, uint32_t row)
{
    const order_t           *o   = order_at(e->orders, row);
    const order_status_req_t req = {.cl_ord_id     = o->cl_ord_id,
                                    .order_id_hi   = o->order_id_hi,
                                    .order_id_lo   = o->order_id_lo,
                                    .account_id    = o->account_id,
                                    .instrument_id = o->instrument_id};
    order_asked(e->orders, row, e->now);
    emit(e, MSG_ORDER_STATUS_REQUEST, &req);
}

static void ask_snapshot(engine_t *e, uint32_t id)
{
    ins_state_t         *ins = &e->ins[id];
    const snapshot_req_t req = {.instrument_id = id, .reason = (uint8_t)view_reason(market_of(e, id))};
    ins->ask                 = 0;
    ins->asked               = 1;
    ins->asked_mono_ns       = e->now.mono_ns;
    due_watch(e, id);
    emit(e, MSG_SNAPSHOT_REQUEST, &req);
}

/* May a question to this venue leave now? What may not is looked at again: with the next input when there were too many
 * of them, with a TICK when there is no room on the way to the venue. */
static bool ask_may(engine_t *e, uint32_t venue, uint32_t *left)
{
    if (venue_state(e, venue).ring_full) {
        e->s->queries_held = 1;
        return false;
    }
    if (*left == 0) {
        e->s->queries_due = 1;
        return false;
    }
    --*left;
    return true;
}

static void ask_snapshots(engine_t *e, uint32_t *left)
{
    const uint32_t end = e->s->instrument_count + 1;
    for (uint32_t id = mark_next(e->ask, 1, end); id < end; id = mark_next(e->ask, id + 1, end)) {
        if (!book_needs_snapshot(market_of(e, id))) {
            e->ins[id].ask = 0;
        } else if (ask_may(e, venue_of(e, id), left)) {
            ask_snapshot(e, id);
        } else if (*left == 0) {
            return;
        } else {
            continue;
        }
        mark_clear(e->ask, id);
    }
}

static void ask_positions(engine_t *e, uint32_t *left)
{
    for (uint32_t account = 1; e->s->recons_due && account <= e->s->account_count; account++) {
        for (uint32_t venue = venue_next(e, 0); venue; venue = venue_next(e, venue)) {
            if (recon_of(e, account, venue)->state == RECON_DUE && ask_may(e, venue, left)) {
                ask_mass_status(e, account, venue);
            }
        }
    }
}

static void ask_orders(engine_t *e, uint32_t *left)
{
    const uint32_t rows = e->s->orders_wait ? order_rows(e->orders) : 0;
    for (uint32_t row = mark_next(e->wait, 0, rows); row < rows; row = mark_next(e->wait, row + 1, rows)) {
        const order_t *o     = order_at(e->orders, row);
        const uint32_t venue = venue_of(e, o->instrument_id);
        if (*left == 0) {
            e->s->queries_due = 1;
            return;
        }
        if ((o->flags & ORDER_ASK) && venue_state(e, venue).link_up && ask_may(e, venue, left)) {
            ask_order(e, row);
        }
    }
}

void recover_ask(engine_t *e)
{
    uint32_t left      = ENGINE_QUERIES_MAX;
    e->s->queries_due  = 0;
    e->s->queries_held = 0;
    ask_snapshots(e, &left);
    ask_positions(e, &left);
    ask_orders(e, &left);
}
