/* gate_state: stage C: is anything closed? One pass over words that say "all is open"; only when one does not is it
 * asked what, in the order of the sheet. */
#pragma once

#include "core/risk/gate_validity.h"

static inline uint64_t word_at(const void *at)
{
    uint64_t word;
    __builtin_memcpy(&word, at, sizeof word);
    return word;
}

/* A kill of a pair is told with the code of its first half, and with its own scope. */
static inline uint16_t check_kill(gate_t *g)
{
    const order_req_t *req = g->req;
    if (g->mode == RISK_MODE_FLATTEN) {
        return RISK_ACCEPTED; /* the one named exception */
    }
    if (g->risk->killed) {
        return deny(g, RISK_KILL_GLOBAL, SCOPE_GLOBAL, 0, 1, 0);
    }
    if (risk_tenant(g->risk, req->tenant_id)->killed) {
        return deny(g, RISK_KILL_TENANT, SCOPE_TENANT, req->tenant_id, 1, 0);
    }
    if (g->acc->killed) {
        return deny_account(g, RISK_KILL_ACCOUNT, 1, 0);
    }
    if (g->row->flags & ROW_KILLED) {
        return deny_row(g, RISK_KILL_ACCOUNT, 1, 0);
    }
    if (g->strategy && g->strategy->killed) {
        return deny(g, RISK_KILL_STRATEGY, SCOPE_STRATEGY, req->strategy_id, 1, 0);
    }
    if (g->strategy && g->strategy_row->flags & ROW_KILLED) {
        return deny(g, RISK_KILL_STRATEGY, SCOPE_STRATEGY_INSTRUMENT, req->strategy_id, 1, 0);
    }
    if (g->venue->killed) {
        return deny(g, RISK_KILL_VENUE, SCOPE_VENUE, g->ins->def.venue_id, 1, 0);
    }
    if (g->acc->venues_killed >> g->ins->def.venue_id & 1) {
        return deny(g, RISK_KILL_VENUE, SCOPE_ACCOUNT_VENUE, req->account_id, 1, 0);
    }
    if (g->market->killed) {
        return deny_instrument(g, RISK_KILL_INSTRUMENT, 1, 0);
    }
    return RISK_ACCEPTED;
}

/* Auction types wait for PRE_OPEN; an order for the opening comes too late when it is OPEN. What is held for an auction
 * may be entered while it is CLOSED. */
static inline uint16_t check_session(gate_t *g)
{
    const uint32_t venue      = g->venue->session;
    const uint32_t instrument = g->market->session;
    const bool     at_venue   = venue != SESSION_NONE && venue != SESSION_OPEN;
    const uint32_t state      = at_venue ? venue : instrument != SESSION_NONE ? instrument : venue;
    const scope_t  scope_type = at_venue ? SCOPE_VENUE : SCOPE_INSTRUMENT;
    const uint32_t scope_id   = at_venue ? g->ins->def.venue_id : g->req->instrument_id;
    const bool     auction    = in_set(TIFS_AUCTIONS, g->req->tif);
    switch (state) {
    case SESSION_OPEN:
        return g->req->tif != TIF_OPG ? RISK_ACCEPTED
                                      : deny(g, RISK_TYPE_NOT_IN_PHASE, scope_type, scope_id, state, SESSION_PRE_OPEN);
    case SESSION_HALTED: return deny(g, RISK_INSTRUMENT_HALTED, scope_type, scope_id, state, SESSION_OPEN);
    case SESSION_CANCEL_ONLY: return deny(g, RISK_CANCEL_ONLY, scope_type, scope_id, state, SESSION_OPEN);
    case SESSION_PRE_OPEN:
        return auction ? RISK_ACCEPTED : deny(g, RISK_TYPE_NOT_IN_PHASE, scope_type, scope_id, state, SESSION_OPEN);
    case SESSION_CLOSED:
        if (auction && g->mode == RISK_MODE_HOLD) {
            return RISK_ACCEPTED;
        }
        return deny(g, RISK_SESSION_CLOSED, scope_type, scope_id, state, SESSION_OPEN);
    default: return deny(g, RISK_SESSION_CLOSED, scope_type, scope_id, state, SESSION_OPEN);
    }
}

/* Does it only lower what is there, and not through flat, all open orders counted? A hedging account lowers a side by
 * what closes it. What is held is judged without what rests: of a list one order cancels the other. */
static inline bool reduces(const gate_t *g)
{
    const risk_row_t *row = g->row;
    if (g->acc->cfg.hedging) {
        const int64_t side = g->buy ? row->short_qty : row->long_qty;
        const int64_t open = g->buy ? row->close_buy_open : row->close_sell_open;
        const i128_t  then = g->mode == RISK_MODE_HOLD ? g->qty : (i128_t)open - g->before.qty + g->qty;
        return g->effect == POSITION_EFFECT_CLOSE && then <= side;
    }
    if (g->mode == RISK_MODE_HOLD) {
        return g->buy ? row->pos < 0 && (i128_t)row->pos + g->qty <= 0 : row->pos > 0 && row->pos >= g->qty;
    }
    return g->buy ? row->pos < 0 && g->long_then <= 0 : row->pos > 0 && g->short_then <= 0;
}

static inline bool told_to_reduce(const gate_t *g)
{
    const uint16_t inst = g->req->exec_inst | (g->before.counts ? g->in->target->exec_inst : 0);
    return (inst & EXEC_INST_REDUCE_ONLY) || g->effect == POSITION_EFFECT_CLOSE;
}

/* The account's state, a latched loss with its own code, or the order's own instruction (18 = E, 77 = C), which of a held
 * order is judged when it leaves. */
static inline uint16_t check_reduce(gate_t *g)
{
    const bool told = g->mode != RISK_MODE_HOLD && told_to_reduce(g);
    if ((!g->acc->reduce_only && !g->acc->latched && !told) || reduces(g)) {
        return RISK_ACCEPTED;
    }
    const bool latch = g->acc->latched && !g->acc->reduce_only;
    return deny_account(g, latch ? (risk_code_t)g->acc->latched : RISK_REDUCE_ONLY,
                        g->buy ? g->long_then : g->short_then, 0);
}

static inline uint16_t check_limits_there(gate_t *g)
{
    const order_req_t      *req = g->req;
    const instrument_def_t *def = &g->ins->def;
    if (!g->acc->has_limits || (!g->home && !risk_fx_find(g->risk, def->settle_ccy, g->acc->cfg.ccy))) {
        return deny_account(g, RISK_LIMIT_MISSING, 0, 0);
    }
    if (!g->market->has_limits) {
        return deny_instrument(g, RISK_LIMIT_MISSING, 0, 0);
    }
    if ((g->row->flags & ROW_LIMITS) == 0) {
        return deny_row(g, RISK_LIMIT_MISSING, 0, 0);
    }
    if (!g->venue->has_limits) {
        return deny(g, RISK_LIMIT_MISSING, SCOPE_VENUE, def->venue_id, 0, 0);
    }
    if (g->strategy && !g->strategy->has_limits) {
        return deny(g, RISK_LIMIT_MISSING, SCOPE_STRATEGY, req->strategy_id, 0, 0);
    }
    if (g->strategy && (g->strategy_row->flags & ROW_LIMITS) == 0) {
        return deny(g, RISK_LIMIT_MISSING, SCOPE_STRATEGY_INSTRUMENT, req->strategy_id, 0, 0);
    }
    return RISK_ACCEPTED;
}

/* In order, when something is not as it is nearly always. */
__attribute__((cold, noinline)) static uint16_t check_state_each(gate_t *g)
{
    uint16_t code;
    if ((code = check_kill(g)) || (code = check_session(g))) {
        return code;
    }
    if (g->venue->ring_full) {
        return deny(g, RISK_RING_FULL, SCOPE_VENUE, g->ins->def.venue_id, 1, 0);
    }
    if ((code = check_reduce(g))) {
        return code;
    }
    if (g->acc->recovering) {
        return deny_account(g, RISK_RECOVERING, 1, 0);
    }
    if (g->acc->unreconciled) {
        return deny_account(g, RISK_UNRECONCILED, 1, 0);
    }
    if (!g->venue->link_up) {
        return deny(g, RISK_VENUE_DOWN, SCOPE_VENUE, g->ins->def.venue_id, 0, 1);
    }
    if (!g->risk->journal_ok) {
        return deny(g, RISK_JOURNAL_DOWN, SCOPE_GLOBAL, 0, 0, 1);
    }
    if (!g->risk->clock_ok) {
        return deny(g, RISK_CLOCK_UNTRUSTED, SCOPE_GLOBAL, 0, 0, 1);
    }
    if ((code = check_limits_there(g))) {
        return code;
    }
    const bool tenant = (g->tenant_row->flags & (ROW_BROKEN | ROW_LIMITS)) == (ROW_BROKEN | ROW_LIMITS);
    if (tenant || (g->row->flags | (g->strategy_row ? g->strategy_row->flags : 0)) & ROW_BROKEN) {
        return deny_row(g, RISK_INTERNAL, 0, 0);
    }
    if (!g->amend && !order_room(g->in->orders)) {
        return deny(g, RISK_INTERNAL, SCOPE_GLOBAL, 0, order_open_count(g->in->orders),
                    order_open_count(g->in->orders));
    }
    return RISK_ACCEPTED;
}

/* The words that the state of each scope begins with, as they are when all is open (little endian, as the wire is). */
#define OPEN_RISK 0x010100u                 /* killed 0, journal_ok 1, clock_ok 1 */
#define OPEN_ACCOUNT 0x0101u                /* exists, has_limits, and nothing else */
#define OPEN_VENUE (0x010100u | 1ULL << 32) /* has_limits, link_up; SESSION_OPEN */
#define OPEN_MARKET 1u                      /* has_limits; the session beside it may be NONE or OPEN */
#define OPEN_STRATEGY (1ULL << 32)          /* killed 0, has_limits 1 */
_Static_assert(offsetof(struct risk, journal_ok) == offsetof(struct risk, killed) + 1 &&
                   offsetof(struct risk, clock_ok) == offsetof(struct risk, killed) + 2 &&
                   offsetof(risk_account_t, exists) == 0 && offsetof(risk_account_t, has_limits) == 1 &&
                   offsetof(risk_account_t, latched) == 6 && offsetof(risk_venue_t, killed) == 0 &&
                   offsetof(risk_venue_t, has_limits) == 1 && offsetof(risk_venue_t, link_up) == 2 &&
                   offsetof(risk_venue_t, session) == 4 && offsetof(risk_instrument_t, has_limits) == 0 &&
                   offsetof(risk_instrument_t, session) == 3 &&
                   offsetof(risk_strategy_t, has_limits) == offsetof(risk_strategy_t, killed) + 4,
               "the words above");

/* Is all open, for an order that asks for nothing special? */
static inline bool all_open(const gate_t *g)
{
    const uint64_t market   = word_at(g->market) & ~((uint64_t)SESSION_OPEN << 24);
    const uint64_t strategy = g->strategy ? word_at(&g->strategy->killed) : OPEN_STRATEGY;
    const uint32_t srow     = g->strategy ? g->strategy_row->flags : ROW_LIMITS;
    const uint64_t shut     = (word_at(&g->risk->killed) & 0xffffff) ^ OPEN_RISK;
    return (shut | (word_at(g->acc) ^ OPEN_ACCOUNT) | (word_at(g->venue) ^ OPEN_VENUE) | (market ^ OPEN_MARKET) |
            (strategy ^ OPEN_STRATEGY) | (srow ^ ROW_LIMITS) | (g->row->flags ^ ROW_LIMITS) |
            (g->tenant_row->flags & ROW_BROKEN) | risk_tenant(g->risk, g->req->tenant_id)->killed |
            (g->acc->venues_killed >> g->ins->def.venue_id & 1)) == 0 &&
           g->home && g->req->tif != TIF_OPG && !told_to_reduce(g) && (g->amend || order_room(g->in->orders));
}

static inline uint16_t check_state(gate_t *g)
{
    return all_open(g) ? RISK_ACCEPTED : check_state_each(g);
}
