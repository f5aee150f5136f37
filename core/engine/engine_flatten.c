/* Positions that the engine closes: the fourth step of a kill.
 *
 *   FLATTEN scope ─▶ every second, until all is flat: for each position in scope that no open order of ours closes
 *                    already: one reduce-only market order (a limit at the collar, IOC) of as much as every check lets pass
 *
 * Its orders pass the one gate in the one mode that looks at no kill flag, and no other check is left out: on a broken book,
 * in a closed market or above the largest order's size the position stays, and an ALARM says why. It cancels nothing: orders
 * against it are the kill's to cancel, and what they may still sell is left to them. An account that hedges has two positions in an
 * instrument, and both are closed, one after the other, by orders that say CLOSE; of these a strategy's share is its own position. */
#include "core/engine/engine_private.h"

#define FLATTEN_NS NS_PER_S
#define FLATTEN_MAX 64u /* closing orders with one input */

static order_req_t closing_order(engine_t *e, uint32_t account_id, uint32_t strategy_id, uint32_t instrument_id,
                                 int64_t qty, position_effect_t effect)
{
    return (order_req_t){.corr_hi         = e->s->seq,
                         .tenant_id       = e->s->tenant_id,
                         .account_id      = account_id,
                         .strategy_id     = strategy_id,
                         .instrument_id   = instrument_id,
                         .qty             = qty < 0 ? -qty : qty,
                         .created_mono_ns = e->now.mono_ns,
                         .action          = ORDER_ACTION_NEW,
                         .side            = qty < 0 ? SIDE_BUY : SIDE_SELL,
                         .ord_type        = ORD_TYPE_MARKET,
                         .tif             = TIF_IOC,
                         .exec_inst       = EXEC_INST_REDUCE_ONLY,
                         .position_effect = (uint8_t)effect};
}

/* As much of it as passes. true: an order left. */
static bool close_position(engine_t *e, uint32_t account_id, uint32_t strategy_id, uint32_t instrument_id, int64_t qty,
                           position_effect_t effect)
{
    order_req_t  req = closing_order(e, account_id, strategy_id, instrument_id, qty, effect);
    risk_probe_t probe;
    risk_out_t   result;
    risk_md_t    md;
    req.cl_ord_id = cl_ord_id_make(e->s->boot.epoch, ORIGIN_ENGINE, ++e->s->minted);
    engine_order_view(e, e->now, instrument_id, &md);
    risk_probe(e->risk,
               &(risk_in_t){.req       = &req,
                            .ins       = &e->ins[instrument_id].ins,
                            .md        = &md,
                            .orders    = e->orders,
                            .now       = e->now,
                            .order_seq = e->s->seq,
                            .mode      = RISK_MODE_FLATTEN},
               &probe);
    if (probe.adjusted_qty > 0) {
        req.qty = probe.adjusted_qty;
        return act_send(e, &req, RISK_MODE_FLATTEN, NULL, &result) == RISK_ACCEPTED;
    }
    emit_alarm(e, (alarm_t){.kind          = ALARM_KILL,
                            .code          = probe.verdict.code,
                            .observed      = qty,
                            .account_id    = account_id,
                            .instrument_id = instrument_id});
    return false;
}

/* What of an account's position in an instrument is the scope's to close: all of it, or the strategy's share. */
static int64_t share(const engine_t *e, int64_t pos, uint32_t strategy_id, uint32_t instrument_id)
{
    risk_exposure_t s;
    if (strategy_id == 0) {
        return pos;
    }
    if (!risk_strategy_exposure(e->risk, strategy_id, instrument_id, &s) || (s.pos > 0) != (pos > 0)) {
        return 0;
    }
    return pos > 0 ? min_i64(pos, s.pos) : max_i64(pos, s.pos);
}

/* One position, signed; open: of the other side, what closes part of it already. true: it is flat. */
static bool close_part(engine_t *e, const mass_cancel_t *m, uint32_t account, uint32_t id, int64_t pos, int64_t open,
                       position_effect_t effect, uint32_t *budget)
{
    const int64_t qty  = share(e, pos, m->strategy_id, id);
    const int64_t rest = qty > 0 ? max_i64(0, qty - open) : min_i64(0, qty + open);
    if (rest != 0 && *budget > 0) {
        *budget -= close_position(e, account, m->strategy_id, id, rest, effect);
    }
    return qty == 0;
}

/* true: all that is in scope is flat. */
static bool close_scope(engine_t *e, const mass_cancel_t *m, uint32_t *budget)
{
    bool flat = true;
    for (uint32_t account = 1; account <= e->s->account_count; account++) {
        const uint64_t *held = held_of(e, account);
        const uint32_t  end  = e->s->instrument_count + 1;
        if (m->account_id != 0 && m->account_id != account) {
            continue;
        }
        for (uint32_t id = mark_next(held, 1, end); id < end; id = mark_next(held, id + 1, end)) {
            risk_exposure_t x;
            if ((m->instrument_id != 0 && m->instrument_id != id) ||
                (m->venue_id != 0 && m->venue_id != venue_of(e, id)) || !risk_exposure(e->risk, account, id, &x)) {
                continue;
            }
            if (x.long_qty != 0 || x.short_qty != 0) {
                const uint32_t before = *budget;
                flat &= close_part(e, m, account, id, x.long_qty, x.close_sell_open, POSITION_EFFECT_CLOSE, budget);
                flat &= *budget == before && /* the two would trade with each other: one now, one when that is over */
                        close_part(e, m, account, id, -x.short_qty, x.close_buy_open, POSITION_EFFECT_CLOSE, budget);
            } else {
                const int64_t open = x.pos > 0 ? x.sell_open : x.buy_open;
                flat &= close_part(e, m, account, id, x.pos, open, POSITION_EFFECT_NONE, budget);
            }
        }
    }
    return flat;
}

void flatten_tick(engine_t *e)
{
    act_state_t *a      = &e->s->act;
    uint32_t     budget = FLATTEN_MAX;
    for (uint32_t i = 0; i < a->flatten_count;) {
        flatten_t          *f     = &a->flattens[i];
        const mass_cancel_t scope = cancel_scope(&f->scope);
        if (e->now.mono_ns < f->due_mono_ns) {
            i++;
        } else if (close_scope(e, &scope, &budget)) {
            *f                            = a->flattens[--a->flatten_count];
            a->flattens[a->flatten_count] = (flatten_t){0};
        } else {
            f->due_mono_ns = budget > 0 ? e->now.mono_ns + FLATTEN_NS : e->now.mono_ns;
            i++;
        }
    }
}

static bool scope_known(const engine_t *e, const control_t *c)
{
    switch ((scope_t)c->scope_type) {
    case SCOPE_GLOBAL: return true;
    case SCOPE_TENANT: return c->scope_id == e->s->tenant_id;
    case SCOPE_ACCOUNT: return c->scope_id >= 1 && c->scope_id <= e->s->account_count;
    case SCOPE_STRATEGY: return c->scope_id >= 1 && c->scope_id <= e->s->strategy_count + e->s->lanes_max;
    case SCOPE_INSTRUMENT: return ins_of(e, c->scope_id) != NULL;
    case SCOPE_VENUE: return c->scope_id >= 1 && c->scope_id <= e->s->venues_max;
    default: return false;
    }
}

err_t act_flatten(engine_t *e, const control_t *given)
{
    act_state_t    *a     = &e->s->act;
    const control_t named = {.kind       = CONTROL_FLATTEN,
                             .scope_type = given->scope_type,
                             .scope_id   = given->scope_type == SCOPE_GLOBAL ? 0 : given->scope_id,
                             .value      = 1};
    uint32_t        at    = 0;
    if (!scope_known(e, given) || given->value < 0 || given->value > 1) {
        return err_set(ERR_ARG, "engine: FLATTEN of scope %u, id %u, value %lld: there is none of these",
                       given->scope_type, given->scope_id, (long long)given->value);
    }
    while (at < a->flatten_count && memcmp(&a->flattens[at].scope, &named, sizeof named) != 0) {
        at++;
    }
    if (given->value == 0) {
        if (at < a->flatten_count) {
            a->flattens[at]               = a->flattens[--a->flatten_count];
            a->flattens[a->flatten_count] = (flatten_t){0};
        }
        return ERR_OK;
    }
    if (at == ENGINE_KILLS_MAX) {
        return err_set(ERR_LIMIT, "engine: FLATTEN of one scope more than the %u that can be named", ENGINE_KILLS_MAX);
    }
    if (at == a->flatten_count) {
        a->flattens[a->flatten_count++].scope = named;
    }
    a->flattens[at].due_mono_ns = e->now.mono_ns;
    flatten_tick(e);
    return ERR_OK;
}
