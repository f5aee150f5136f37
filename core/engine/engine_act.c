/* What leaves: requests, of whomever, through the one gate; what strategies may do. */
#include "core/engine/engine_private.h"

/* ---- requests: the one way to a venue ---------------------------------------------------------------------------- */
static verdict_t denial(const engine_t *e, const order_req_t *req, lane_denial_t why)
{
    return (verdict_t){.cl_ord_id     = req->cl_ord_id,
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
}

static uint16_t deny(engine_t *e, const order_req_t *req, lane_denial_t why)
{
    const verdict_t verdict = denial(e, req, why);
    emit(e, MSG_VERDICT, &verdict);
    return verdict.code;
}

const venue_def_t *act_venue(const engine_t *e, uint32_t venue_id)
{
    const venue_def_t *def = venue_id <= RISK_VENUES_MAX ? &e->s->act.venues[venue_id] : NULL;
    return def && def->venue_id != 0 ? def : NULL;
}

bool venue_native(const engine_t *e, uint32_t venue_id, const order_terms_req_t *req)
{
    return capability_native(act_venue(e, venue_id), req);
}

err_t act_venue_def(engine_t *e, const venue_def_t *def)
{
    if (def->venue_id == 0 || def->venue_id > e->s->venues_max || def->venue_id > RISK_VENUES_MAX) {
        return err_set(ERR_ARG, "engine: definition of venue %u, not one of 1..%u", def->venue_id, e->s->venues_max);
    }
    const err_t err = capability_check(def);
    if (err == ERR_OK) {
        e->s->act.venues[def->venue_id] = *def;
    }
    return err;
}

/* The time in force with which an order leaves: a market order never rests where the venue can help it. */
static uint8_t tif_sent(const venue_def_t *def, const order_req_t *req)
{
    const tif_t tif = req->ord_type != ORD_TYPE_MARKET ? (tif_t)req->tif : req->tif == TIF_FOK ? TIF_FOK : TIF_IOC;
    if (capability_tif(def, tif)) {
        return (uint8_t)tif;
    }
    return capability_tif(def, TIF_GTC) ? TIF_GTC : TIF_DAY;
}

static void send_new(engine_t *e, const order_req_t *req, const order_terms_req_t *native, const risk_out_t *passed)
{
    const venue_def_t *def   = act_venue(e, venue_of(e, req->instrument_id));
    order_req_t        sent  = *req;
    order_terms_req_t  terms = {0};
    sent.px                  = passed->px;
    sent.tif                 = tif_sent(def, req);
    if (native) {
        terms         = *native;
        terms.px      = sent.px;
        sent.ord_type = terms.ord_type;
        sent.tif      = terms.tif;
    } else if (sent.ord_type == ORD_TYPE_MARKET) { /* leaves as a limit at the collar */
        sent.ord_type = ORD_TYPE_LIMIT;
    }
    const uint32_t row = order_open(e->orders, &sent, passed->px_value);
    order_part_t   part;
    order_part(order_at(e->orders, row), &part);
    money_hold(e, sent.account_id, sent.instrument_id, &(order_part_t){0}, &part);
    if (native) {
        emit(e, MSG_ORDER_TERMS_REQUEST, &terms);
    } else {
        emit(e, MSG_ORDER_REQUEST, &sent);
    }
}

/* Where the venue has no REPLACE: a cancel leaves, and the replacement waits until the order is dead. */
static void send_replace(engine_t *e, const order_req_t *req, uint32_t row, const risk_out_t *passed)
{
    order_req_t sent     = *req;
    sent.px              = passed->px;
    const order_t *order = order_at(e->orders, row);
    order_part_t   before, after;
    order_part(order, &before);
    order_replace_sent(e->orders, row, passed->px, passed->px_value, req->qty);
    order_part(order, &after);
    money_hold(e, order->account_id, order->instrument_id, &before, &after);
    if (!capability_offers(act_venue(e, venue_of(e, req->instrument_id)), VENUE_REPLACE)) {
        e->s->act.replaces[e->s->act.replace_count++] = sent;
        order_cancel_sent(e->orders, row, e->now);
        sent.action = ORDER_ACTION_CANCEL;
        sent.px = sent.qty = 0;
    }
    emit(e, MSG_ORDER_REQUEST, &sent);
}

static void tell_soft(engine_t *e, const order_req_t *req, const risk_out_t *result)
{
    for (uint32_t i = 0; i < result->soft_count; i++) {
        const risk_soft_t *soft = &result->soft[i];
        emit_alarm(e, (alarm_t){.kind          = ALARM_SOFT_LIMIT,
                                .code          = soft->code,
                                .observed      = soft->observed,
                                .limit         = soft->limit,
                                .cl_ord_id     = req->cl_ord_id,
                                .account_id    = req->account_id,
                                .instrument_id = req->instrument_id});
    }
}

/* CANCEL_BOTH: the new one was denied, and those that it would trade with are cancelled. */
static void cancel_crossed(engine_t *e, const order_req_t *req, int64_t px)
{
    uint32_t row = risk_crossing(e->risk, e->orders, req, px, ORDER_NONE);
    for (uint32_t n = 0; row != ORDER_NONE && n < ENGINE_SWEEP_MAX; n++) {
        const order_t *order = order_at(e->orders, row);
        if (!(order->flags & ORDER_PENDING_CANCEL)) {
            act_cancel(e, order);
        }
        row = risk_crossing(e->risk, e->orders, req, px, row);
    }
}

uint16_t act_send(engine_t *e, const order_req_t *given, risk_mode_t mode, const order_terms_req_t *native,
                  risk_out_t *result)
{
    order_req_t        made;
    const order_req_t *req  = given;
    const ins_state_t *ins  = ins_of(e, req->instrument_id);
    const uint32_t     row  = req->action == ORDER_ACTION_NEW ? ORDER_NONE : order_find(e->orders, req->orig_cl_ord_id);
    const bool         told = mode == RISK_MODE_RELEASE && cl_ord_id_origin(req->cl_ord_id) != ORIGIN_ENGINE;
    risk_md_t          md;
    if (e->s->boot.epoch == 0) { /* no life has begun: an id would not be unique */
        result->soft_count = 0;
        result->verdict    = denial(e, req, (lane_denial_t){.code = RISK_RECOVERING, .limit = 1});
        emit(e, MSG_VERDICT, &result->verdict);
        return result->verdict.code;
    }
    if (req->action == ORDER_ACTION_CANCEL && row != ORDER_NONE) { /* it names an order; all else is the order's own */
        const order_t *order = order_at(e->orders, row);
        made                 = *given;
        made.side            = order->side;
        made.ord_type        = order->ord_type;
        made.tif             = order->tif;
        made.exec_inst       = order->exec_inst;
        made.px = made.qty = 0;
        req                = &made;
    }
    if (ins) {
        engine_order_view(e, e->now, req->instrument_id, &md);
    }
    const risk_in_t in = {.req       = req,
                          .ins       = ins ? &ins->ins : NULL,
                          .md        = ins ? &md : NULL,
                          .target    = row == ORDER_NONE ? NULL : order_at(e->orders, row),
                          .orders    = e->orders,
                          .now       = e->now,
                          .order_seq = e->s->seq,
                          .mode      = mode};
    risk_check(e->risk, &in, result);
    if (!told) {
        emit(e, MSG_VERDICT, &result->verdict);
    }
    if (result->soft_count) {
        tell_soft(e, req, result);
    }
    if (result->verdict.code == RISK_SELF_TRADE && result->stp == RISK_STP_MODE_CANCEL_BOTH &&
        mode != RISK_MODE_FLATTEN) {
        cancel_crossed(e, req, result->px);
    }
    if (result->verdict.code != RISK_ACCEPTED || mode == RISK_MODE_HOLD) {
        return result->verdict.code;
    }
    if (req->action == ORDER_ACTION_NEW) {
        send_new(e, req, native, result);
    } else if (req->action == ORDER_ACTION_REPLACE) {
        send_replace(e, req, row, result);
    } else {
        assert(req->action == ORDER_ACTION_CANCEL); /* risk passes no request without an action */
        order_cancel_sent(e->orders, row, e->now);
        emit(e, MSG_ORDER_REQUEST, req);
    }
    return RISK_ACCEPTED;
}

/* ---- what a request needs before it may go to the gate as it is ---------------------------------------------------- */
static order_terms_req_t terms_of(const order_req_t *req)
{
    order_terms_req_t terms = {0};
    memcpy(&terms, req, sizeof *req); /* field for field: asserted in msg.h */
    return terms;
}

/* Times in force that the engine stands in for where the venue does not know them. */
static bool tif_held(const venue_def_t *def, const order_req_t *req)
{
    const bool may = req->tif == TIF_DAY || req->tif == TIF_OPG || req->tif == TIF_ATC || req->tif == TIF_GTD;
    return may && req->ord_type != ORD_TYPE_MARKET && !(capability_tif(def, (tif_t)req->tif) && req->tif != TIF_GTD);
}

/* It would trade with orders of its own group, and is to wait until they are gone. */
static bool stp_holds(const engine_t *e, const order_req_t *req)
{
    const int64_t px = req->ord_type != ORD_TYPE_MARKET ? req->px : req->side == SIDE_BUY ? INT64_MAX : -INT64_MAX;
    return (e->s->act.stp_mode == RISK_STP_MODE_CANCEL_OLDEST || e->s->act.stp_mode == RISK_STP_MODE_DECREMENT) &&
           (req->side == SIDE_BUY || req->side == SIDE_SELL) &&
           risk_crossing(e->risk, e->orders, req, px, ORDER_NONE) != ORDER_NONE;
}

bool act_lacks(const venue_def_t *def, const order_req_t *req)
{
    return (req->exec_inst & EXEC_INST_POST_ONLY && !capability_offers(def, VENUE_POST_ONLY)) ||
           (req->ord_type == ORD_TYPE_LIMIT && !capability_tif(def, (tif_t)req->tif) &&
            (req->tif == TIF_IOC || req->tif == TIF_FOK || req->tif == TIF_GTC)) ||
           (req->ord_type == ORD_TYPE_MARKET && req->tif == TIF_FOK && !capability_tif(def, TIF_FOK));
}

static uint16_t request_new(engine_t *e, const order_req_t *req)
{
    const ins_state_t *ins = ins_of(e, req->instrument_id);
    risk_out_t         result;
    if (ins) {
        const venue_def_t *def = act_venue(e, ins->ins.def.venue_id);
        if (act_lacks(def, req)) {
            return deny(e, req,
                        (lane_denial_t){.code       = RISK_ORDER_TYPE_NOT_PERMITTED,
                                        .scope_type = SCOPE_VENUE,
                                        .scope_id   = ins->ins.def.venue_id,
                                        .observed   = req->tif});
        }
        if (tif_held(def, req) || stp_holds(e, req)) {
            const order_terms_req_t terms = terms_of(req);
            return held_request(e, &terms);
        }
    }
    return act_send(e, req, RISK_MODE_ORDER, NULL, &result);
}

static uint16_t request(engine_t *e, const order_req_t *req)
{
    risk_out_t result;
    uint16_t   code;
    if (req->action == ORDER_ACTION_NEW) {
        return request_new(e, req);
    }
    if (held_change(e, req, &code)) {
        return code;
    }
    if (req->action == ORDER_ACTION_REPLACE && e->s->act.replace_count == ENGINE_REPLACES_MAX &&
        ins_of(e, req->instrument_id) &&
        !capability_offers(act_venue(e, venue_of(e, req->instrument_id)), VENUE_REPLACE)) {
        return deny(
            e, req,
            (lane_denial_t){.code = RISK_RING_FULL, .observed = ENGINE_REPLACES_MAX, .limit = ENGINE_REPLACES_MAX});
    }
    return act_send(e, req, RISK_MODE_ORDER, NULL, &result);
}

void act_request(engine_t *e, const order_req_t *req)
{
    const lane_denial_t why = lane_judge(e, req);
    if (why.code == RISK_ACCEPTED) {
        request(e, req);
    } else {
        if (why.code != RISK_BAD_CLIENT_ORDER_ID) { /* with another's id it would count against the other */
            risk_rejected(e->risk, req->strategy_id, e->now);
        }
        deny(e, req, why);
    }
}

/* ---- replacements that wait for their order to be dead -------------------------------------------------------------- */
static void tell_refused(engine_t *e, const order_req_t *req, exec_type_t type, uint16_t code)
{
    const bool          is_new = type == EXEC_TYPE_REJECTED;
    const exec_report_t report = {.cl_ord_id     = is_new ? req->cl_ord_id : req->orig_cl_ord_id,
                                  .corr_hi       = req->corr_hi,
                                  .corr_lo       = req->corr_lo,
                                  .account_id    = req->account_id,
                                  .strategy_id   = req->strategy_id,
                                  .instrument_id = req->instrument_id,
                                  .exec_type     = (uint8_t)type,
                                  .ord_status    = is_new ? ORD_STATUS_REJECTED : ORD_STATUS_NONE,
                                  .side          = req->side,
                                  .cum_qty       = is_new ? 0 : -1,
                                  .leaves_qty    = is_new ? 0 : -1,
                                  .order_qty     = req->qty,
                                  .px            = req->px,
                                  .reject_code   = code,
                                  .flags         = EXEC_DENIED};
    emit(e, MSG_EXEC_REPORT, &report);
}

/* The old order is dead: what it has not filled leaves under the id of the REPLACE. */
static void replacement_leaves(engine_t *e, const order_req_t *req, const order_t *old)
{
    order_req_t made = *req;
    risk_out_t  result;
    made.action          = ORDER_ACTION_NEW;
    made.orig_cl_ord_id  = 0;
    made.qty             = req->qty - old->cum_qty;
    made.created_mono_ns = e->now.mono_ns;
    const uint16_t code =
        made.qty > 0 ? act_send(e, &made, RISK_MODE_RELEASE, NULL, &result) : (uint16_t)RISK_AMEND_BELOW_FILLED;
    if (code != RISK_ACCEPTED) {
        tell_refused(e, &made, EXEC_TYPE_REJECTED, code);
    }
}

/* It was not cancelled, so it is not replaced: as if the venue had refused that. */
static void replacement_off(engine_t *e, const order_req_t *req, uint32_t instrument_id)
{
    const exec_report_t off = {.cl_ord_id = req->orig_cl_ord_id, .exec_type = EXEC_TYPE_REPLACE_REJECT, .cum_qty = -1};
    order_effect_t      effect;
    order_apply_exec(e->orders, &off, &e->ins[instrument_id].ins, &effect);
    risk_exec(e->risk, &e->ins[instrument_id].ins, &effect);
    money_hold(e, effect.account_id, effect.instrument_id, &effect.before, &effect.after);
    tell_refused(e, req, EXEC_TYPE_REPLACE_REJECT, RISK_ORDER_NOT_OPEN);
}

void act_exec(engine_t *e, const exec_report_t *report, const order_effect_t *effect)
{
    act_state_t *a = &e->s->act;
    if (a->replace_count == 0 || effect->row == ORDER_NONE) {
        return;
    }
    const order_t *order   = order_at(e->orders, effect->row);
    const bool     dead    = !order_is_open(order) && order_gap(order) == 0;
    const bool     refused = report->exec_type == EXEC_TYPE_CANCEL_REJECT && order_is_open(order);
    for (uint32_t i = 0; (dead || refused) && i < a->replace_count;) {
        if (a->replaces[i].orig_cl_ord_id != order->cl_ord_id) {
            i++;
            continue;
        }
        const order_req_t req         = a->replaces[i];
        a->replaces[i]                = a->replaces[--a->replace_count];
        a->replaces[a->replace_count] = (order_req_t){0};
        if (dead) {
            replacement_leaves(e, &req, order);
        } else {
            replacement_off(e, &req, order->instrument_id);
        }
    }
}

/* ---- time -------------------------------------------------------------------------------------------------------- */
void act_tick(engine_t *e)
{
    int64_t  waited_ns;
    uint32_t row = order_overdue(e->orders, e->now, &waited_ns);
    for (uint32_t n = 0; row != ORDER_NONE; n++) {
        const order_t *order = order_at(e->orders, row);
        emit_alarm(e, (alarm_t){.kind          = ALARM_ORDER_AGE,
                                .cl_ord_id     = order->cl_ord_id,
                                .observed      = waited_ns,
                                .limit         = order_answer_ns(e->orders),
                                .account_id    = order->account_id,
                                .instrument_id = order->instrument_id});
        row = n < ENGINE_QUERIES_MAX ? order_overdue(e->orders, e->now, &waited_ns) : ORDER_NONE;
    }
    cancel_tick(e);
    flatten_tick(e);
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

/* What every action of a strategy has in common: its identity is the engine's to fill in, never the strategy's. false: it
 * has had its share of this callback, or all of them of this input. */
static bool identify(const strategy_ctx_t *ctx, order_req_t *req)
{
    engine_t        *e    = host_of(ctx);
    strategy_slot_t *slot = &e->s->strategies[ctx->strategy_id - 1];
    if (e->actions++ >= STRATEGY_ACTIONS_MAX || e->input_actions++ >= ENGINE_ACTIONS_MAX) {
        return false;
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
    return true;
}

static uint16_t act(const strategy_ctx_t *ctx, order_req_t *req)
{
    return identify(ctx, req) ? request(host_of(ctx), req) : (uint16_t)RISK_INTERNAL;
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

/* The first order of a list is named by its own id, which it has only now: STRATEGY_LIST_SELF. */
static uint16_t ctx_order_terms(const strategy_ctx_t *ctx, const order_terms_req_t *given, uint64_t *cl_ord_id)
{
    order_terms_req_t terms = *given;
    order_req_t       req   = {.corr_hi = given->corr_hi, .corr_lo = given->corr_lo};
    const bool        may   = identify(ctx, &req);
    terms.cl_ord_id         = req.cl_ord_id;
    terms.orig_cl_ord_id    = 0;
    terms.corr_hi           = req.corr_hi;
    terms.corr_lo           = req.corr_lo;
    terms.tenant_id         = req.tenant_id;
    terms.account_id        = req.account_id;
    terms.strategy_id       = req.strategy_id;
    terms.created_mono_ns   = req.created_mono_ns;
    terms.action            = ORDER_ACTION_NEW;
    terms.list_id           = given->list_id == STRATEGY_LIST_SELF ? req.cl_ord_id : given->list_id;
    *cl_ord_id              = terms.cl_ord_id;
    return may ? held_request(host_of(ctx), &terms) : (uint16_t)RISK_INTERNAL;
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
                            .order_terms   = ctx_order_terms,
                            .order_replace = ctx_order_replace,
                            .order_cancel  = ctx_order_cancel};
}

/* A strategy sees the instruments that settle in its account's currency. */
bool act_sees(const engine_t *e, uint32_t slot, const ins_state_t *ins)
{
    const uint32_t account = e->s->strategies[slot].cfg.account_id;
    return account >= 1 && account <= e->s->accounts_max && e->accounts[account].ccy == ins->ins.def.settle_ccy;
}
