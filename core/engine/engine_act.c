/* What leaves: requests, of whomever, through the one gate; what strategies may do; cancels of a kill. */
#include "core/engine/engine_private.h"

#define KILL_RETRY_NS NS_PER_S /* a cancel that was refused or lost is sent again after this */

/* ---- requests: the one way to a venue ---------------------------------------------------------------------------- */
static uint16_t deny(engine_t *e, const order_req_t *req, lane_denial_t why)
{
    const verdict_t verdict = {.cl_ord_id     = req->cl_ord_id,
                               .order_seq     = e->s->seq,
                               .observed      = why.observed,
                               .limit         = why.limit,
                               .engine_utc_ns = e->now.utc_ns,
                               .scope_id      = why.scope_id,
                               .instrument_id = req->instrument_id,
                               .account_id    = req->account_id,
                               .strategy_id   = req->strategy_id,
                               .limit_version = risk_limit_version(e->risk),
                               .code          = (uint16_t)why.code,
                               .scope_type    = (uint8_t)why.scope_type,
                               .action        = req->action};
    emit(e, MSG_VERDICT, &verdict);
    return verdict.code;
}

static uint16_t request(engine_t *e, const order_req_t *given)
{
    order_req_t        made = *given;
    const order_req_t *req  = &made;
    const ins_state_t *ins  = ins_of(e, req->instrument_id);
    const uint32_t     row  = req->action == ORDER_ACTION_NEW ? ORDER_NONE : order_find(e->orders, req->orig_cl_ord_id);
    risk_md_t          md;
    risk_out_t         result;
    if (e->s->boot.epoch == 0) { /* no life has begun: an id would not be unique */
        return deny(e, req, (lane_denial_t){.code = RISK_RECOVERING, .limit = 1});
    }
    if (req->action == ORDER_ACTION_CANCEL && row != ORDER_NONE) { /* it names an order; all else is the order's own */
        const order_t *order = order_at(e->orders, row);
        made.side            = order->side;
        made.ord_type        = order->ord_type;
        made.tif             = order->tif;
        made.exec_inst       = order->exec_inst;
        made.px = made.qty = 0;
    }
    if (ins) {
        engine_market_view(e, e->now, req->instrument_id, &md);
    }
    const risk_in_t in = {.req       = req,
                          .ins       = ins ? &ins->ins : NULL,
                          .md        = ins ? &md : NULL,
                          .target    = row == ORDER_NONE ? NULL : order_at(e->orders, row),
                          .orders    = e->orders,
                          .now       = e->now,
                          .order_seq = e->s->seq};
    risk_check(e->risk, &in, &result);
    emit(e, MSG_VERDICT, &result.verdict);
    for (uint32_t i = 0; i < result.soft_count; i++) {
        const risk_soft_t *soft = &result.soft[i];
        emit_alarm(e, (alarm_t){.kind          = ALARM_SOFT_LIMIT,
                                .code          = soft->code,
                                .observed      = soft->observed,
                                .limit         = soft->limit,
                                .cl_ord_id     = req->cl_ord_id,
                                .account_id    = req->account_id,
                                .instrument_id = req->instrument_id});
    }
    if (result.verdict.code != 0) {
        return result.verdict.code;
    }
    order_req_t sent = *req;
    switch ((order_action_t)req->action) {
    case ORDER_ACTION_NEW:
        sent.px = result.px;
        if (req->ord_type == ORD_TYPE_MARKET) { /* leaves as a limit at the collar, and never rests */
            sent.ord_type = ORD_TYPE_LIMIT;
            sent.tif      = req->tif == TIF_FOK ? TIF_FOK : TIF_IOC;
        }
        order_open(e->orders, &sent, result.px_value);
        break;
    case ORDER_ACTION_REPLACE:
        sent.px = result.px;
        order_replace_sent(e->orders, row, result.px, result.px_value, req->qty);
        break;
    case ORDER_ACTION_CANCEL: order_cancel_sent(e->orders, row, e->now); break;
    case ORDER_ACTION_NONE: assert(req->action != ORDER_ACTION_NONE); /* risk passes no request without an action */
    }
    emit(e, MSG_ORDER_REQUEST, &sent);
    return 0;
}

void act_request(engine_t *e, const order_req_t *req)
{
    const lane_denial_t why = lane_judge(e, req);
    if (why.code == RISK_ACCEPTED) {
        request(e, req);
    } else {
        deny(e, req, why);
    }
}

/* ---- strategies -------------------------------------------------------------------------------------------------- */
static engine_t *host_of(const strategy_ctx_t *ctx)
{
    return ctx->host;
}

static const instrument_t *ctx_instrument(const strategy_ctx_t *ctx, uint32_t id)
{
    const ins_state_t *ins = ins_of(host_of(ctx), id);
    return ins ? &ins->ins : NULL;
}

static bool ctx_top(const strategy_ctx_t *ctx, uint32_t id, strategy_top_t *out)
{
    const engine_t *e = host_of(ctx);
    top_t           best;
    int64_t         mono_ns;
    if (!ins_of(e, id)) {
        return false;
    }
    const bool live = engine_best_view(e, e->now, id, &best, &mono_ns);
    *out            = (strategy_top_t){
                   .bid_px = best.bid_px, .bid_qty = best.bid_qty, .ask_px = best.ask_px, .ask_qty = best.ask_qty};
    return live;
}

static int64_t ctx_position(const strategy_ctx_t *ctx, uint32_t id)
{
    risk_exposure_t exposure;
    return risk_strategy_exposure(host_of(ctx)->risk, ctx->strategy_id, id, &exposure) ? exposure.pos : 0;
}

/* What every action of a strategy has in common: its identity is the engine's to fill in, never the strategy's. */
static uint16_t act(const strategy_ctx_t *ctx, order_req_t *req)
{
    engine_t        *e    = host_of(ctx);
    strategy_slot_t *slot = &e->s->strategies[ctx->strategy_id - 1];
    if (e->actions++ >= STRATEGY_ACTIONS_MAX || e->input_actions++ >= ENGINE_ACTIONS_MAX) {
        return RISK_INTERNAL;
    }
    req->cl_ord_id       = cl_ord_id_make(e->s->boot.epoch, ctx->strategy_id, ++slot->minted);
    req->tenant_id       = e->s->tenant_id;
    req->account_id      = slot->cfg.account_id;
    req->strategy_id     = ctx->strategy_id;
    req->created_mono_ns = e->now.mono_ns;
    if (!req->corr_hi && !req->corr_lo) { /* a new signal: the input that gave it, and when that was received */
        req->corr_hi = e->s->seq;
        req->corr_lo = (uint64_t)e->cause_utc_ns;
    }
    return request(e, req);
}

static uint16_t ctx_order_new(const strategy_ctx_t *ctx, const order_req_t *req, uint64_t *cl_ord_id)
{
    order_req_t copy    = *req;
    copy.action         = ORDER_ACTION_NEW;
    copy.orig_cl_ord_id = 0;
    const uint16_t code = act(ctx, &copy);
    *cl_ord_id          = copy.cl_ord_id;
    return code;
}

/* A replace or cancel names the order; the rest of the request is the order's own. */
static uint16_t change(const strategy_ctx_t *ctx, order_action_t action, uint64_t orig, int64_t px, int64_t qty)
{
    const engine_t *e   = host_of(ctx);
    order_req_t     req = {.action = (uint8_t)action, .orig_cl_ord_id = orig, .px = px, .qty = qty};
    const uint32_t  row = order_find(e->orders, orig);
    if (row != ORDER_NONE) {
        const order_t *order = order_at(e->orders, row);
        req.instrument_id    = order->instrument_id;
        req.side             = order->side;
        req.ord_type         = order->ord_type;
        req.tif              = order->tif;
        req.exec_inst        = order->exec_inst;
        req.corr_hi          = order->corr_hi;
        req.corr_lo          = order->corr_lo;
    }
    return act(ctx, &req);
}

static uint16_t ctx_order_replace(const strategy_ctx_t *ctx, uint64_t orig, int64_t px, int64_t qty)
{
    return change(ctx, ORDER_ACTION_REPLACE, orig, px, qty);
}

static uint16_t ctx_order_cancel(const strategy_ctx_t *ctx, uint64_t orig)
{
    return change(ctx, ORDER_ACTION_CANCEL, orig, 0, 0);
}

strategy_ctx_t act_context(engine_t *e, uint32_t slot)
{
    e->actions = 0;
    return (strategy_ctx_t){.abi_version   = STRATEGY_ABI_VERSION,
                            .strategy_id   = slot + 1,
                            .now           = e->now,
                            .host          = e,
                            .instrument    = ctx_instrument,
                            .top           = ctx_top,
                            .position      = ctx_position,
                            .order_new     = ctx_order_new,
                            .order_replace = ctx_order_replace,
                            .order_cancel  = ctx_order_cancel};
}

/* A strategy sees the instruments that settle in its account's currency. */
bool act_sees(const engine_t *e, uint32_t slot, const ins_state_t *ins)
{
    const uint32_t account = e->s->strategies[slot].cfg.account_id;
    return account >= 1 && account <= e->s->accounts_max && e->accounts[account].ccy == ins->ins.def.settle_ccy;
}

/* ---- kills, and lanes that closed: cancels for every open order in scope, a bounded number with each input ------- */
static bool in_scope(const engine_t *e, const control_t *kill, const order_t *order)
{
    switch ((scope_t)kill->scope_type) {
    case SCOPE_GLOBAL: return true;
    case SCOPE_TENANT: return order->tenant_id == kill->scope_id;
    case SCOPE_ACCOUNT: return order->account_id == kill->scope_id;
    case SCOPE_STRATEGY: return order->strategy_id == kill->scope_id;
    case SCOPE_INSTRUMENT: return order->instrument_id == kill->scope_id;
    case SCOPE_VENUE: return e->ins[order->instrument_id].ins.def.venue_id == kill->scope_id;
    default: return false;
    }
}

static void cancel_by_engine(engine_t *e, const order_t *order)
{
    const order_req_t req = {.cl_ord_id       = cl_ord_id_make(e->s->boot.epoch, ORIGIN_ENGINE, ++e->s->minted),
                             .orig_cl_ord_id  = order->cl_ord_id,
                             .corr_hi         = order->corr_hi,
                             .corr_lo         = order->corr_lo,
                             .tenant_id       = order->tenant_id,
                             .account_id      = order->account_id,
                             .strategy_id     = order->strategy_id,
                             .instrument_id   = order->instrument_id,
                             .created_mono_ns = e->now.mono_ns,
                             .action          = ORDER_ACTION_CANCEL,
                             .side            = order->side,
                             .ord_type        = order->ord_type,
                             .tif             = order->tif,
                             .exec_inst       = order->exec_inst};
    request(e, &req);
}

static bool killed(const engine_t *e, const order_t *order)
{
    for (uint32_t k = 0; k < e->s->kill_count; k++) {
        if (in_scope(e, &e->s->kills[k], order)) {
            return true;
        }
    }
    return false;
}

void act_sweep(engine_t *e)
{
    uint32_t sent = 0, left = 0;
    uint32_t row = order_first(e->orders);
    for (uint32_t next; row != ORDER_NONE && sent < ENGINE_SWEEP_MAX; row = next) {
        const order_t *order = order_at(e->orders, row);
        next                 = order_next(e->orders, row);
        const bool asked     = order->cancel_mono_ns != 0 && e->now.mono_ns - order->cancel_mono_ns < KILL_RETRY_NS;
        if (!order_is_open(order)) {
            continue;
        }
        const bool due = lane_sweeps(e, order, &left) || killed(e, order);
        if (due && !asked && !(order->flags & ORDER_PENDING_CANCEL)) {
            cancel_by_engine(e, order);
            sent++;
        }
    }
    if (row == ORDER_NONE && left != e->s->lanes_swept) {
        lane_swept(e, left);
    }
}

void act_kill(engine_t *e, const control_t *given)
{
    const control_t  named   = {.kind       = CONTROL_KILL,
                                .scope_type = given->scope_type,
                                .scope_id   = given->scope_type == SCOPE_GLOBAL ? 0 : given->scope_id,
                                .value      = given->value};
    const control_t *control = &named;
    uint32_t         at      = 0;
    while (at < e->s->kill_count &&
           (e->s->kills[at].scope_type != control->scope_type || e->s->kills[at].scope_id != control->scope_id)) {
        at++;
    }
    if (control->value && at == e->s->kill_count) {
        if (at == ENGINE_KILLS_MAX) { /* more scopes than we can name: all of them */
            e->s->kill_count = 1;
            e->s->kills[0]   = (control_t){.kind = CONTROL_KILL, .scope_type = SCOPE_GLOBAL, .value = 1};
            risk_control(e->risk, &e->s->kills[0]);
        } else {
            e->s->kills[e->s->kill_count++] = *control;
        }
    } else if (!control->value && at < e->s->kill_count) {
        e->s->kills[at]               = e->s->kills[--e->s->kill_count];
        e->s->kills[e->s->kill_count] = (control_t){0};
    }
}
