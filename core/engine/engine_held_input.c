/* Held orders: what comes in for them. Requests and what their terms must be; prices; sessions; time; reading.
 *
 * Triggers   only on a LIVE book, and by LAST only on a trade that is no older than stale_ns: while the book is broken or
 *            stale nothing triggers, and the first look after that does, if the market is beyond by then. The first look
 *            is when the order is entered (or its list lets it): a stop that is beyond the market already leaves at once.
 *            TRAILING_*: stop_px begins as given, or (0) at the first look, trail from the market; then it follows the
 *            best price since, and never back. The limit of TRAILING_STOP_LIMIT keeps its distance to stop_px.
 * Auctions   CONTROL SESSION PRE_OPEN is an auction: the opening one when there was no OPEN since the last CLOSED, else the
 *            closing one. OPG and ATC (limit orders) are held until theirs and leave in it. What the auction leaves of them is
 *            cancelled and EXPIRES when the session is OPEN or CLOSED; so does one whose auction did not come: OPG at OPEN, ATC
 *            at CLOSED. The gate takes no OPG while it is OPEN (157).
 * Time       GTD until expire_utc_ns. DAY, where the venue does not know it and while it is held, until CLOSED or the end of
 *            the UTC day. A portion of HELD_PORTION with each input. */
#include "core/engine/engine_private.h"

#define HELD_PORTION 64u
#define HELD_LIST_MAX 32u /* orders of a list: each of them looks at all */

static held_t *at(const engine_t *e, uint32_t row)
{
    return held_at(e->held_orders, row);
}

static bool living(const held_t *h)
{
    return h->stage != HELD_STAGE_NONE && h->stage != HELD_STAGE_DONE;
}

/* ---- what a venue knows ------------------------------------------------------------------------------------------ */
bool held_tif_known(const engine_t *e, uint32_t instrument_id, uint8_t tif)
{
    return capability_tif(act_venue(e, venue_of(e, instrument_id)), (tif_t)tif);
}

static bool type_conditional(uint8_t ord_type)
{
    return ord_type >= ORD_TYPE_STOP && ord_type < ORD_TYPE_COUNT && ord_type != ORD_TYPE_MARKET_TO_LIMIT;
}

static bool type_trailing(uint8_t ord_type)
{
    return ord_type == ORD_TYPE_TRAILING_STOP || ord_type == ORD_TYPE_TRAILING_STOP_LIMIT;
}

static bool type_limit(uint8_t ord_type)
{
    return ord_type == ORD_TYPE_LIMIT || ord_type == ORD_TYPE_STOP_LIMIT || ord_type == ORD_TYPE_TRAILING_STOP_LIMIT ||
           ord_type == ORD_TYPE_LIMIT_IF_TOUCHED;
}

/* Nothing in its terms that a plain order has not. */
static bool plain(const engine_t *e, const order_terms_req_t *t)
{
    return (t->ord_type == ORD_TYPE_LIMIT || t->ord_type == ORD_TYPE_MARKET) && t->algo == ALGO_NONE &&
           t->list_id == 0 && t->tif != TIF_GTD && held_tif_known(e, t->instrument_id, t->tif);
}

/* It would trade with orders of its own group, in a mode that waits until they are gone. */
static bool crosses(const engine_t *e, const order_req_t *req)
{
    const uint32_t mode = e->s->act.stp_mode;
    const int64_t  px   = req->ord_type == ORD_TYPE_LIMIT ? req->px : req->side == SIDE_BUY ? INT64_MAX : -INT64_MAX;
    return (mode == RISK_STP_MODE_CANCEL_OLDEST || mode == RISK_STP_MODE_DECREMENT) &&
           risk_crossing(e->risk, e->orders, req, px, ORDER_NONE) != ORDER_NONE;
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */
static uint16_t answer(engine_t *e, const order_req_t *req, lane_denial_t why)
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

static lane_denial_t no(risk_code_t code, int64_t observed, int64_t limit)
{
    return (lane_denial_t){.code = code, .observed = observed, .limit = limit};
}

static order_req_t plain_of(const order_terms_req_t *t)
{
    order_req_t req;
    memcpy(&req, t, sizeof req); /* field for field */
    return req;
}

/* A price of the terms: 106, 108. */
static lane_denial_t judge_px(const instrument_t *ins, int64_t px)
{
    if (px <= 0 && !ins->def.allow_negative) {
        return no(RISK_PRICE_NOT_POSITIVE, px, 1);
    }
    return instrument_on_tick(ins, px) ? no(RISK_ACCEPTED, 0, 0)
                                       : no(RISK_PRICE_NOT_ON_TICK, px, instrument_tick_at(ins, px));
}

static lane_denial_t judge_prices(const instrument_t *ins, const order_terms_req_t *t)
{
    lane_denial_t why = no(RISK_ACCEPTED, 0, 0);
    if (type_trailing(t->ord_type)) {
        const int64_t tick = instrument_tick_at(ins, t->stop_px ? t->stop_px : t->trail);
        if (t->trail <= 0) {
            return no(RISK_PRICE_NOT_POSITIVE, t->trail, 1);
        }
        if (t->trail % tick != 0) {
            return no(RISK_PRICE_NOT_ON_TICK, t->trail, tick);
        }
    }
    if (type_conditional(t->ord_type) && (t->stop_px != 0 || t->ord_type != ORD_TYPE_TRAILING_STOP)) {
        why = judge_px(ins, t->stop_px);
    }
    if (why.code == RISK_ACCEPTED && type_conditional(t->ord_type) && type_limit(t->ord_type)) {
        why = judge_px(ins, t->px);
    }
    if (why.code == RISK_ACCEPTED && t->algo != ALGO_NONE && (t->px != 0 || t->algo == ALGO_ICEBERG)) {
        why = judge_px(ins, t->px);
    }
    return why;
}

static lane_denial_t judge_display(const instrument_t *ins, const order_terms_req_t *t)
{
    const int64_t least = max_i64(ins->def.min_qty, 1), show = t->display_qty;
    if (t->algo != ALGO_ICEBERG) {
        return no(RISK_ACCEPTED, 0, 0);
    }
    if (show <= 0) {
        return no(RISK_QTY_NOT_POSITIVE, show, 1);
    }
    if (show > t->qty) {
        return no(RISK_BAD_MESSAGE, show, t->qty);
    }
    if (show % ins->def.lot != 0) {
        return no(RISK_QTY_NOT_ON_LOT, show, ins->def.lot);
    }
    if (show < least || (t->qty % show != 0 && t->qty % show < least)) { /* the last one would be too small */
        return no(RISK_QTY_BELOW_MIN, min_i64(show, t->qty % show), least);
    }
    return no(RISK_ACCEPTED, 0, 0);
}

/* Words that do not go together: 101; that do not exist, or times that are past: 104. */
static lane_denial_t judge_words(const engine_t *e, const order_terms_req_t *t)
{
    const bool market  = t->ord_type == ORD_TYPE_MARKET || t->ord_type == ORD_TYPE_MARKET_TO_LIMIT;
    const bool timed   = t->algo == ALGO_TWAP || t->algo == ALGO_VWAP;
    const bool at_once = t->tif == TIF_IOC || t->tif == TIF_FOK;
    if (t->ord_type == ORD_TYPE_NONE || t->ord_type >= ORD_TYPE_COUNT || t->tif == TIF_NONE || t->tif >= TIF_COUNT ||
        t->tif == TIF_GTD - 1 || (t->side != SIDE_BUY && t->side != SIDE_SELL)) {
        return no(RISK_BAD_SIDE_TYPE_OR_TIF, t->ord_type, t->tif);
    }
    if ((t->tif == TIF_GTD || timed) && t->expire_utc_ns <= e->now.utc_ns) {
        return no(RISK_BAD_SIDE_TYPE_OR_TIF, t->expire_utc_ns, e->now.utc_ns);
    }
    if ((t->algo != ALGO_NONE || t->ord_type == ORD_TYPE_MARKET_TO_LIMIT) &&
        (at_once || t->tif == TIF_OPG || t->tif == TIF_ATC)) {
        return no(RISK_BAD_SIDE_TYPE_OR_TIF, t->tif, t->algo);
    }
    if ((t->tif == TIF_OPG || t->tif == TIF_ATC) && t->ord_type != ORD_TYPE_LIMIT) {
        return no(RISK_BAD_SIDE_TYPE_OR_TIF, t->ord_type, t->tif);
    }
    const bool foreign = (!type_conditional(t->ord_type) && t->stop_px != 0) ||
                         (!type_trailing(t->ord_type) && t->trail != 0) ||
                         (t->algo != ALGO_ICEBERG && t->display_qty != 0) ||
                         (t->tif != TIF_GTD && !timed && t->expire_utc_ns != 0) || (!timed && t->algo_arg != 0);
    const bool unknown = t->contingency >= CONTINGENCY_COUNT || t->algo >= ALGO_COUNT ||
                         (t->trigger > TRIGGER_LAST && t->trigger != TRIGGER_MID);
    if (foreign || unknown || (t->algo != ALGO_NONE && t->ord_type != ORD_TYPE_LIMIT && !(market && timed)) ||
        (t->algo != ALGO_NONE && t->ord_type == ORD_TYPE_MARKET_TO_LIMIT) ||
        (t->ord_type == ORD_TYPE_MARKET_TO_LIMIT && (t->exec_inst & EXEC_INST_POST_ONLY))) {
        return no(RISK_BAD_MESSAGE, t->ord_type, t->algo);
    }
    return no(RISK_ACCEPTED, 0, 0);
}

/* The list: its head's row in *head, or HELD_NONE. */
static lane_denial_t judge_list(const engine_t *e, const order_terms_req_t *t, uint32_t *head)
{
    *head = HELD_NONE;
    if (t->list_id == 0) {
        return t->contingency == CONTINGENCY_NONE ? no(RISK_ACCEPTED, 0, 0) : no(RISK_BAD_MESSAGE, t->contingency, 0);
    }
    if (t->list_id == t->cl_ord_id) {
        return t->contingency != CONTINGENCY_NONE ? no(RISK_ACCEPTED, 0, 0) : no(RISK_BAD_MESSAGE, 0, CONTINGENCY_OCO);
    }
    *head = held_find(e->held_orders, t->list_id);
    if (*head == HELD_NONE || at(e, *head)->list_head != *head) {
        return no(RISK_UNKNOWN_ORDER, (int64_t)t->list_id, 0);
    }
    const held_t *h   = at(e, *head);
    const bool    oto = h->terms.contingency == CONTINGENCY_OTO;
    if (h->terms.account_id != t->account_id || h->terms.strategy_id != t->strategy_id) {
        *head = HELD_NONE;
        return no(RISK_UNKNOWN_ORDER, (int64_t)t->list_id, 0);
    }
    if (oto ? t->contingency == CONTINGENCY_OTO : t->contingency != h->terms.contingency) {
        return no(RISK_BAD_MESSAGE, t->contingency, h->terms.contingency);
    }
    uint32_t count = 0;
    bool     over  = oto && !living(h) && h->cum_qty == 0;
    for (uint32_t i = *head; i != HELD_NONE; i = at(e, i)->list_next) {
        count++;
        over |= (i != *head || !oto) && at(e, i)->terms.contingency != CONTINGENCY_NONE &&
                (!living(at(e, i)) || at(e, i)->cum_qty > 0 || (at(e, i)->flags & HELD_ENDING));
    }
    if (over) { /* one of it has ended or was filled: what it was to do with this one is past */
        return no(RISK_ORDER_NOT_OPEN, h->ord_status, 0);
    }
    return count < HELD_LIST_MAX ? no(RISK_ACCEPTED, 0, 0) : no(RISK_BAD_MESSAGE, count, HELD_LIST_MAX);
}

static lane_denial_t judge_terms(const engine_t *e, const order_terms_req_t *t)
{
    const instrument_t *ins = &e->ins[t->instrument_id].ins;
    lane_denial_t       why = judge_words(e, t);
    if (why.code == RISK_ACCEPTED) {
        why = judge_prices(ins, t);
    }
    return why.code == RISK_ACCEPTED ? judge_display(ins, t) : why;
}

/* All that can be said before the gate. An id that was there before comes first: the same message again is no new order. */
static lane_denial_t judge_new(const engine_t *e, const order_terms_req_t *t, uint32_t *head)
{
    const lane_denial_t list = judge_list(e, t, head);
    const lane_denial_t why  = judge_terms(e, t);
    order_req_t         last = plain_of(t); /* as it leaves in the end */
    if (held_find(e->held_orders, t->cl_ord_id) != HELD_NONE) {
        return no(RISK_DUPLICATE_CLIENT_ORDER_ID, (int64_t)t->cl_ord_id, 0);
    }
    if (why.code != RISK_ACCEPTED || list.code != RISK_ACCEPTED) {
        return why.code != RISK_ACCEPTED ? why : list;
    }
    last.ord_type =
        type_limit(t->ord_type) || t->ord_type == ORD_TYPE_MARKET_TO_LIMIT ? ORD_TYPE_LIMIT : ORD_TYPE_MARKET;
    const uint32_t venue = venue_of(e, t->instrument_id);
    return act_lacks(act_venue(e, venue), &last) ? (lane_denial_t){.code       = RISK_ORDER_TYPE_NOT_PERMITTED,
                                                                   .scope_type = SCOPE_VENUE,
                                                                   .scope_id   = venue,
                                                                   .observed   = t->tif}
                                                 : no(RISK_ACCEPTED, 0, 0);
}

/* Would the gate let it pass now? Of what is native: as an order that is priced where it triggers; else it stays with us. */
static bool passes(const engine_t *e, const order_req_t *req)
{
    risk_md_t    md;
    risk_probe_t probe;
    engine_order_view(e, e->now, req->instrument_id, &md);
    risk_probe(e->risk,
               &(risk_in_t){.req       = req,
                            .ins       = &e->ins[req->instrument_id].ins,
                            .md        = &md,
                            .orders    = e->orders,
                            .now       = e->now,
                            .order_seq = e->s->seq},
               &probe);
    return probe.verdict.code == RISK_ACCEPTED;
}

/* It waits for nothing: it leaves with this very input, and what we add is that it ends in time. */
static bool leaves_at_once(const order_terms_req_t *t)
{
    return (t->ord_type == ORD_TYPE_LIMIT || t->ord_type == ORD_TYPE_MARKET) && t->algo == ALGO_NONE &&
           t->list_id == 0 && (t->tif == TIF_DAY || t->tif == TIF_GTD);
}

/* Judged here; what that means for the list that it was to be of. */
static uint16_t denied(engine_t *e, const order_req_t *req, lane_denial_t why, uint32_t head)
{
    answer(e, req, why);
    if (head != HELD_NONE && why.code != RISK_DUPLICATE_CLIENT_ORDER_ID && why.code != RISK_ORDER_NOT_OPEN) {
        list_denied(e, head, (uint16_t)why.code);
    }
    return (uint16_t)why.code;
}

static uint16_t hold(engine_t *e, const order_terms_req_t *t, uint32_t head)
{
    const order_req_t req = plain_of(t);
    risk_out_t        result;
    if (!held_room(e->held_orders, head)) {
        return denied(e, &req, no(RISK_RING_FULL, held_count(e->held_orders), held_count(e->held_orders)), head);
    }
    const uint16_t code = act_send(e, &req, RISK_MODE_HOLD, NULL, &result);
    if (code != RISK_ACCEPTED) {
        if (head != HELD_NONE && code != RISK_DUPLICATE_CLIENT_ORDER_ID) {
            list_denied(e, head, code);
        }
        return code;
    }
    const uint32_t row     = held_open(e->held_orders, t, head, e->now.utc_ns);
    at(e, row)->stage      = HELD_STAGE_LIST;
    at(e, row)->ord_status = ORD_STATUS_NEW;
    held_tell(e, row, EXEC_TYPE_NEW, 0);
    if (head != HELD_NONE && at(e, head)->terms.contingency == CONTINGENCY_OTO && !living(at(e, head))) {
        list_cut(e, row);
    }
    held_settle(e, row);
    return code;
}

static uint16_t request_new(engine_t *e, const order_terms_req_t *given)
{
    order_terms_req_t t    = *given;
    uint32_t          head = HELD_NONE;
    risk_out_t        result;
    if (t.display_qty != 0 && t.algo == ALGO_NONE && t.ord_type == ORD_TYPE_LIMIT) {
        t.algo = ALGO_ICEBERG;
    }
    order_req_t req = plain_of(&t);
    if (ins_of(e, t.instrument_id) && e->s->boot.epoch != 0) {
        const lane_denial_t why = judge_new(e, &t, &head);
        if (why.code != RISK_ACCEPTED) {
            return denied(e, &req, why, head);
        }
        if (plain(e, &t) && !crosses(e, &req)) {
            return act_send(e, &req, RISK_MODE_ORDER, NULL, &result);
        }
        if (!crosses(e, &req) && venue_native(e, venue_of(e, t.instrument_id), given)) {
            req.ord_type = ORD_TYPE_LIMIT; /* what can be native has a limit price: it is judged by that */
            if (given->ord_type == ORD_TYPE_LIMIT || passes(e, &req)) {
                return act_send(e, &req, RISK_MODE_ORDER, given, &result);
            }
        }
        order_req_t now = plain_of(&t);
        now.tif         = TIF_GTC; /* as it leaves */
        if (leaves_at_once(&t) && !crosses(e, &now) &&
            !passes(e, &now)) { /* its one verdict is that of the whole chain */
            const uint16_t code = act_send(e, &now, RISK_MODE_ORDER, NULL, &result);
            assert(code != RISK_ACCEPTED); /* the question is answered as the order will be */
            return code;
        }
    }
    return hold(e, &t, head);
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */
/* Its one order stands at the venue for all of it: a REPLACE of it is the order's own. */
static bool stands_whole(const engine_t *e, const held_t *h)
{
    return h->open_slices == 1 && (h->flags & HELD_KEPT_ID) &&
           held_slice_at(e->held_orders, h->slices)->next == HELD_NONE && h->free_qty == h->terms.qty &&
           capability_offers(act_venue(e, venue_of(e, h->terms.instrument_id)), VENUE_REPLACE) &&
           !(h->flags & (HELD_ENDING | HELD_CLEARING));
}

static uint16_t replace(engine_t *e, uint32_t row, const order_req_t *given, const order_terms_req_t *terms)
{
    held_t           *h    = at(e, row);
    order_terms_req_t then = h->terms;
    order_req_t       req  = *given;
    risk_out_t        result;
    then.qty         = req.qty;
    then.px          = req.px;
    then.display_qty = min_i64(then.display_qty, max_i64(then.qty, 0));
    if (terms) {
        then.stop_px       = terms->stop_px;
        then.trail         = terms->trail;
        then.display_qty   = terms->display_qty;
        then.expire_utc_ns = terms->expire_utc_ns;
    }
    lane_denial_t why = judge_terms(e, &then);
    if (h->flags & HELD_ENDING) {
        why = no(RISK_ORDER_NOT_OPEN, h->end_as, 0);
    } else if (req.qty < h->cum_qty) {
        why = no(RISK_AMEND_BELOW_FILLED, req.qty, h->cum_qty);
    }
    if (why.code != RISK_ACCEPTED) {
        return answer(e, &req, why);
    }
    req.instrument_id   = h->terms.instrument_id;
    req.side            = h->terms.side;
    req.ord_type        = h->terms.ord_type;
    req.tif             = h->terms.tif;
    req.exec_inst       = h->terms.exec_inst;
    const uint16_t code = act_send(e, &req, RISK_MODE_HOLD, NULL, &result);
    if (code != RISK_ACCEPTED) {
        return code;
    }
    const bool moved = then.px != h->terms.px && h->open_slices != 0;
    h->terms         = then;
    h->whole_qty     = 0;
    h->denials       = 0;
    h->wait_utc_ns   = 0;
    h->flags         = (uint16_t)(h->flags & ~HELD_TOLD);
    h->ord_status    = h->cum_qty > 0 ? ORD_STATUS_PARTIALLY_FILLED : ORD_STATUS_NEW;
    held_tell(e, row, EXEC_TYPE_REPLACED, 0);
    if (moved) {
        held_clear(e, row);
    } else {
        held_settle(e, row);
    }
    return code;
}

static bool change(engine_t *e, const order_req_t *req, const order_terms_req_t *terms, uint16_t *code)
{
    const uint32_t row = held_find(e->held_orders, req->orig_cl_ord_id);
    if (row == HELD_NONE || !living(at(e, row))) {
        return false;
    }
    const held_t *h = at(e, row);
    if (h->terms.account_id != req->account_id || h->terms.strategy_id != req->strategy_id ||
        h->terms.tenant_id != req->tenant_id || (req->instrument_id && h->terms.instrument_id != req->instrument_id)) {
        *code = answer(e, req, no(RISK_UNKNOWN_ORDER, (int64_t)req->orig_cl_ord_id, 0));
    } else if (req->action == ORDER_ACTION_CANCEL) {
        order_req_t made = *req;
        risk_out_t  result;
        made.instrument_id = h->terms.instrument_id;
        *code              = act_send(e, &made, RISK_MODE_HOLD, NULL, &result);
        if (*code == RISK_ACCEPTED) {
            list_cancel(e, row);
        }
    } else if (stands_whole(e, h)) {
        return false;
    } else {
        *code = replace(e, row, req, terms);
    }
    return true;
}

bool held_change(engine_t *e, const order_req_t *req, uint16_t *code)
{
    return req->action != ORDER_ACTION_NEW && held_count(e->held_orders) && change(e, req, NULL, code);
}

uint16_t held_request(engine_t *e, const order_terms_req_t *t)
{
    const order_req_t req = plain_of(t);
    uint16_t          code;
    risk_out_t        result;
    if (t->action == ORDER_ACTION_NEW) {
        return request_new(e, t);
    }
    return change(e, &req, t, &code) ? code : act_send(e, &req, RISK_MODE_ORDER, NULL, &result);
}

void held_input(engine_t *e, const order_terms_req_t *t)
{
    const order_req_t   req = plain_of(t);
    const lane_denial_t why = lane_judge(e, &req);
    if (why.code == RISK_ACCEPTED) {
        held_request(e, t);
    } else {
        answer(e, &req, why);
    }
}

uint32_t held_find_owner(const engine_t *e, uint64_t cl_ord_id)
{
    const uint32_t row = held_find(e->held_orders, cl_ord_id);
    return row == HELD_NONE || !living(at(e, row)) ? 0 : at(e, row)->terms.strategy_id;
}

/* ---- cancel of a scope ------------------------------------------------------------------------------------------- */
static bool in_scope(const engine_t *e, const held_t *h, const mass_cancel_t *scope, uint64_t mark)
{
    const order_terms_req_t *t = &h->terms;
    return living(h) && (!scope->tenant_id || scope->tenant_id == t->tenant_id) &&
           (!scope->account_id || scope->account_id == t->account_id) &&
           (!scope->strategy_id || scope->strategy_id == t->strategy_id) &&
           (!scope->instrument_id || scope->instrument_id == t->instrument_id) &&
           (!scope->venue_id || scope->venue_id == venue_of(e, t->instrument_id)) &&
           (!scope->side || scope->side == t->side) && (!mark || cl_ord_id_mark(t->cl_ord_id) <= mark);
}

uint32_t held_open_in(const engine_t *e, const mass_cancel_t *scope)
{
    uint32_t count = 0;
    for (uint32_t row = held_first(e->held_orders); row != HELD_NONE; row = held_next(e->held_orders, row)) {
        count += in_scope(e, at(e, row), scope, 0);
    }
    return count;
}

bool held_works(const engine_t *e, uint64_t cl_ord_id)
{
    const uint32_t slice = held_slice_find(e->held_orders, cl_ord_id);
    return slice != HELD_NONE && living(at(e, held_slice_peek(e->held_orders, slice)->row));
}

/* By row and not along the living ones: one that ends may take others of its list with it. */
uint32_t held_cancel(engine_t *e, const mass_cancel_t *scope, uint64_t mark, uint32_t *budget)
{
    uint32_t left = 0;
    for (uint32_t row = 0; held_count(e->held_orders) && row < held_rows(e->held_orders); row++) {
        if (!in_scope(e, at(e, row), scope, mark) || (at(e, row)->flags & HELD_ENDING)) {
            continue;
        }
        if (*budget > 0) {
            --*budget;
            held_end(e, row, ORD_STATUS_CANCELED);
        } else {
            left++;
        }
    }
    return left;
}

/* ---- prices ------------------------------------------------------------------------------------------------------ */
/* Twice the price that it looks at; false: there is none that counts. */
static bool market_px2(const engine_t *e, const held_t *h, i128_t *px2)
{
    const ins_state_t *ins = &e->ins[h->terms.instrument_id];
    top_t              best;
    int64_t            mono_ns;
    if (!engine_best_view(e, e->now, h->terms.instrument_id, &best, &mono_ns)) {
        return false;
    }
    const bool buy = h->terms.side == SIDE_BUY;
    switch ((trigger_t)h->terms.trigger) {
    case TRIGGER_BEST:
        *px2 = 2 * (i128_t)(buy ? best.ask_px : best.bid_px);
        return (buy ? best.ask_qty : best.bid_qty) > 0;
    case TRIGGER_MID: *px2 = (i128_t)best.bid_px + best.ask_px; return best.bid_qty > 0 && best.ask_qty > 0;
    case TRIGGER_NONE:
    case TRIGGER_LAST: break;
    }
    *px2 = 2 * (i128_t)ins->last.px;
    return ins->has_last && e->now.mono_ns - ins->last_mono_ns <= e->s->stale_ns;
}

/* A trailing stop follows: towards the market, never back. */
static void trail(held_t *h, i128_t px2)
{
    const bool   buy  = h->terms.side == SIDE_BUY;
    const i128_t best = buy ? div_ceil(px2, 2) + h->terms.trail : div_floor(px2, 2) - h->terms.trail;
    int64_t      stop;
    if (fit_i64(best, &stop) && (h->terms.stop_px == 0 || (buy ? stop < h->terms.stop_px : stop > h->terms.stop_px))) {
        if (h->terms.ord_type == ORD_TYPE_TRAILING_STOP_LIMIT) {
            h->terms.px += stop - h->terms.stop_px;
        }
        h->terms.stop_px = stop;
    }
}

bool held_triggers(engine_t *e, uint32_t row)
{
    held_t *h = at(e, row);
    i128_t  px2;
    if (!market_px2(e, h, &px2)) {
        return false;
    }
    if (type_trailing(h->terms.ord_type)) {
        trail(h, px2);
    }
    const bool touched =
        h->terms.ord_type == ORD_TYPE_MARKET_IF_TOUCHED || h->terms.ord_type == ORD_TYPE_LIMIT_IF_TOUCHED;
    const bool rising = (h->terms.side == SIDE_BUY) != touched;
    return rising ? px2 >= 2 * (i128_t)h->terms.stop_px : px2 <= 2 * (i128_t)h->terms.stop_px;
}

void held_market(engine_t *e, uint32_t id)
{
    uint32_t found[HELD_PORTION], count = 0;
    for (uint32_t row = held_watch_first(e->held_orders, id); row != HELD_NONE;
         row          = held_watch_next(e->held_orders, row)) {
        if (at(e, row)->stage == HELD_STAGE_TRIGGER && held_triggers(e, row) && count < HELD_PORTION) {
            found[count++] = row; /* more than a portion: with the next event of the market */
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (at(e, found[i])->stage == HELD_STAGE_TRIGGER) { /* one before it may have ended it */
            held_settle(e, found[i]);
        }
    }
}

void held_learn(engine_t *e, const trade_t *trade)
{
    if (e->now.utc_ns > 0) {
        algo_curve_learn(&e->held_markets[trade->instrument_id].curve, e->now.utc_ns, trade->qty);
    }
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */
static const held_phase_t *phase_of(const engine_t *e, uint32_t instrument_id)
{
    const held_phase_t *own = &e->held_markets[instrument_id].phase,
                       *all = &e->held_venues[venue_of(e, instrument_id)].phase;
    const bool at_venue     = all->session != SESSION_NONE && all->session != SESSION_OPEN; /* as for the gate */
    return at_venue || own->session == SESSION_NONE ? all : own;
}

session_t held_session_of(const engine_t *e, uint32_t instrument_id)
{
    return (session_t)phase_of(e, instrument_id)->session;
}

bool held_in_auction(const engine_t *e, uint32_t instrument_id, uint8_t tif)
{
    const held_phase_t *phase = phase_of(e, instrument_id);
    return phase->session == SESSION_PRE_OPEN && phase->opened == (tif == TIF_ATC);
}

void held_session(engine_t *e, const control_t *control)
{
    const bool    one   = control->scope_type == SCOPE_INSTRUMENT;
    held_phase_t *phase = one ? &e->held_markets[control->scope_id].phase : &e->held_venues[control->scope_id].phase;
    phase->session      = (uint8_t)control->value;
    phase->opened       = control->value == SESSION_OPEN || (control->value != SESSION_CLOSED && phase->opened);
    for (uint32_t row = held_first(e->held_orders); row != HELD_NONE; row = held_next(e->held_orders, row)) {
        const uint32_t id = at(e, row)->terms.instrument_id;
        if (one ? id == control->scope_id : venue_of(e, id) == control->scope_id) {
            held_due(e->held_orders, row, 1); /* now, a portion with each input */
        }
    }
}

/* ---- time, strategies -------------------------------------------------------------------------------------------- */
static void tell_strategies(engine_t *e)
{
    uint32_t pos = 0;
    for (const out_rec_t *rec; (rec = engine_out_next(e->out, &pos)) != NULL;) {
        const exec_report_t *report = (const exec_report_t *)(const void *)(rec + 1);
        if (rec->type != MSG_EXEC_REPORT || !(report->flags & EXEC_HELD) || report->strategy_id < 1 ||
            report->strategy_id > e->s->strategy_count) {
            continue;
        }
        const uint32_t slot = report->strategy_id - 1;
        if (e->ops[slot]->on_exec) {
            const strategy_ctx_t ctx = act_context(e, slot);
            e->ops[slot]->on_exec(state_of(e, slot), &ctx, report);
        }
    }
    e->held_told = false;
}

void held_step(engine_t *e)
{
    for (uint32_t n = 0; n < HELD_PORTION; n++) {
        const uint32_t row = held_due_first(e->held_orders);
        if (row == HELD_NONE || at(e, row)->due_utc_ns > e->now.utc_ns) {
            break;
        }
        held_time(e, row);
    }
    if (e->held_told) {
        tell_strategies(e);
    }
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */
const held_table_t *engine_held(const engine_t *e)
{
    return e->held_orders;
}

void engine_held_record(const engine_t *e, uint32_t row, held_record_t *out)
{
    const held_t            *h       = at(e, row);
    const order_terms_req_t *t       = &h->terms;
    uint64_t                 working = 0;
    int64_t                  avg     = 0;
    for (uint32_t i = h->slices, left = h->open_slices; left > 0; i = held_slice_at(e->held_orders, i)->next) {
        if (held_slice_at(e->held_orders, i)->open) { /* the oldest open one stays */
            working = held_slice_at(e->held_orders, i)->cl_ord_id;
            left--;
        }
    }
    if (h->cum_qty <= 0 || !fit_i64(h->px_qty / h->cum_qty, &avg)) {
        avg = 0;
    }
    const held_state_t state = !living(h)                                     ? HELD_DONE
                               : h->open_slices || h->stage == HELD_STAGE_OUT ? HELD_WORKING
                                                                              : HELD_WAITING;
    *out                     = (held_record_t){.cl_ord_id       = t->cl_ord_id,
                                               .list_id         = t->list_id,
                                               .working_id      = working,
                                               .corr_hi         = t->corr_hi,
                                               .corr_lo         = t->corr_lo,
                                               .px              = t->px,
                                               .stop_px         = t->stop_px,
                                               .trail           = t->trail,
                                               .display_qty     = t->display_qty,
                                               .expire_utc_ns   = t->expire_utc_ns,
                                               .avg_px          = avg,
                                               .order_qty       = t->qty,
                                               .cum_qty         = h->cum_qty,
                                               .leaves_qty      = living(h) ? max_i64(0, t->qty - h->cum_qty) : 0,
                                               .event_seq       = e->s->seq,
                                               .account_id      = t->account_id,
                                               .instrument_id   = t->instrument_id,
                                               .tenant_id       = t->tenant_id,
                                               .strategy_id     = t->strategy_id,
                                               .user_id         = t->user_id,
                                               .side            = t->side,
                                               .ord_status      = h->ord_status,
                                               .ord_type        = t->ord_type,
                                               .tif             = t->tif,
                                               .exec_inst       = t->exec_inst,
                                               .position_effect = (uint8_t)t->position_effect,
                                               .contingency     = t->contingency,
                                               .trigger         = t->trigger,
                                               .algo            = t->algo,
                                               .state           = (uint8_t)state,
                                               .algo_arg        = t->algo_arg};
}

uint64_t held_state_hash(uint64_t hash, const engine_t *e)
{
    hash = hash_bytes(hash, e->held_markets, sizeof *e->held_markets * (e->s->instruments_max + 1ull));
    hash = hash_bytes(hash, e->held_venues, sizeof *e->held_venues * (e->s->venues_max + 1ull));
    return held_hash(hash, e->held_orders);
}
