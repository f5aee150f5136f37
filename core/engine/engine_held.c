/* Held orders: how one leaves and how it ends. What its list lets leave: engine_list.c; what comes in: engine_held_input.c.
 *
 *   held_advance:   LIST ── the first order's fills ──▶ TRIGGER ── stop_px ──▶ SESSION ── its auction ──▶ READY ──▶ OUT
 *                   (each only where the order has such a condition)
 *
 * Nothing here remembers a decision that it can make again: after whatever changed, held_settle() looks at a row as it
 * stands (its total, what its list frees, what is filled, what is open) and does what is missing. So a copy of the arena goes
 * on like the original, and a lost answer delays and does not derail.
 *
 * Leaves    want = free - filled - open. The first order of a row keeps its ClOrdID, but algorithms and MARKET_TO_LIMIT send
 *           slices with ids of the engine. Where more becomes free later, more orders leave; where less is free, the newest
 *           is made smaller by REPLACE, or cancelled where that is refused or nothing would be left.
 * Refused   for a reason that passes (state of links, session, market data, rates: waits_for()): it is tried again each
 *           second, a person is told once. Exposure or reduce-only, while other orders of its OCO list are open: these are
 *           cancelled, and it is tried again when they are dead. Self-trade in a mode that waits: likewise with the orders
 *           that it crosses. Else it is REJECTED with EXEC_DENIED, and ALARM HELD. A slice of an algorithm: ALARM HELD and the
 *           next slot (ICEBERG: the next second); after HELD_DENIALS_MAX in a row it is SUSPENDED until REPLACE. */
#include "core/engine/engine_private.h"

#include "core/order/algo.h"

#define HELD_RETRY_NS NS_PER_S
#define HELD_REPEAT_NS (100 * NS_PER_MS) /* after 277: the window of the sheet */
#define HELD_DENIALS_MAX 8u
#define HELD_NEVER INT64_MAX

static held_t *at(const engine_t *e, uint32_t row)
{
    return held_at(e->held_orders, row);
}

static bool ended(const held_t *h)
{
    return h->stage == HELD_STAGE_DONE;
}

/* ---- what it is -------------------------------------------------------------------------------------------------- */
static bool scheduled(const held_t *h)
{
    return h->terms.algo == ALGO_TWAP || h->terms.algo == ALGO_VWAP;
}

/* Its orders have ids of the engine, and its owner hears of it by reports of its own. */
static bool sliced(const held_t *h)
{
    return h->terms.algo != ALGO_NONE || h->terms.ord_type == ORD_TYPE_MARKET_TO_LIMIT;
}

static bool conditional(const held_t *h)
{
    return h->terms.ord_type != ORD_TYPE_LIMIT && h->terms.ord_type != ORD_TYPE_MARKET &&
           h->terms.ord_type != ORD_TYPE_MARKET_TO_LIMIT;
}

static bool limited(const held_t *h)
{
    switch ((ord_type_t)h->terms.ord_type) {
    case ORD_TYPE_LIMIT: return h->terms.px != 0 || h->terms.algo == ALGO_NONE;
    case ORD_TYPE_STOP_LIMIT:
    case ORD_TYPE_TRAILING_STOP_LIMIT:
    case ORD_TYPE_LIMIT_IF_TOUCHED: return true;
    case ORD_TYPE_MARKET_TO_LIMIT: return (h->flags & HELD_REST) != 0;
    default: return false;
    }
}

static bool auction(const held_t *h)
{
    return h->terms.tif == TIF_OPG || h->terms.tif == TIF_ATC;
}

static const order_t *order_of(const engine_t *e, const held_slice_t *slice)
{
    const uint32_t row = order_find(e->orders, slice->cl_ord_id);
    return row == ORDER_NONE ? NULL : order_at(e->orders, row);
}

/* What an open slice may still fill, as it was asked for last. */
static int64_t slice_leaves(const engine_t *e, const held_slice_t *slice)
{
    const order_t *order = order_of(e, slice);
    return max_i64(0, min_i64(order_leaves(order), slice->want_qty - order->exec_qty));
}

static int64_t open_qty(const engine_t *e, const held_t *h)
{
    int64_t  sum  = 0;
    uint32_t left = h->open_slices;
    for (uint32_t i = h->slices; left > 0; i = held_slice_at(e->held_orders, i)->next) {
        const held_slice_t *slice = held_slice_at(e->held_orders, i);
        if (slice->open) {
            sum += slice_leaves(e, slice) + order_gap(order_of(e, slice));
            left--;
        }
    }
    return sum;
}

/* A slice that was given up, and is not dead yet. */
static bool given_up(const engine_t *e, const held_slice_t *slice)
{
    return slice->want_qty <= order_of(e, slice)->exec_qty;
}

/* ---- reports, alarms --------------------------------------------------------------------------------------------- */
static int64_t average_px(const held_t *h)
{
    int64_t px = 0;
    return h->cum_qty > 0 && fit_i64(h->px_qty / h->cum_qty, &px) ? px : 0;
}

void held_tell(engine_t *e, uint32_t row, exec_type_t type, uint16_t code)
{
    const held_t       *h      = at(e, row);
    const exec_report_t report = {.cl_ord_id     = h->terms.cl_ord_id,
                                  .corr_hi       = h->terms.corr_hi,
                                  .corr_lo       = h->terms.corr_lo,
                                  .account_id    = h->terms.account_id,
                                  .strategy_id   = h->terms.strategy_id,
                                  .instrument_id = h->terms.instrument_id,
                                  .exec_type     = (uint8_t)type,
                                  .ord_status    = h->ord_status,
                                  .side          = h->terms.side,
                                  .cum_qty       = h->cum_qty,
                                  .leaves_qty    = ended(h) ? 0 : max_i64(0, h->terms.qty - h->cum_qty),
                                  .order_qty     = h->terms.qty,
                                  .px            = h->terms.px,
                                  .ts_event_ns   = e->now.utc_ns,
                                  .ts_recv_ns    = e->now.utc_ns,
                                  .reject_code   = code,
                                  .flags         = EXEC_HELD | (type == EXEC_TYPE_REJECTED && code ? EXEC_DENIED : 0)};
    emit(e, MSG_EXEC_REPORT, &report);
    e->held_told |= h->terms.strategy_id >= 1 && h->terms.strategy_id <= e->s->strategy_count;
}

void held_alarm(engine_t *e, const held_t *h, alarm_kind_t kind, uint16_t code, int64_t observed, int64_t limit)
{
    emit_alarm(e, (alarm_t){.kind          = (uint16_t)kind,
                            .code          = code,
                            .cl_ord_id     = h->terms.cl_ord_id,
                            .account_id    = h->terms.account_id,
                            .instrument_id = h->terms.instrument_id,
                            .observed      = observed,
                            .limit         = limit});
}

static ord_status_t status_working(const held_t *h)
{
    return h->cum_qty > 0 ? ORD_STATUS_PARTIALLY_FILLED : ORD_STATUS_NEW;
}

/* ---- requests of the engine's own -------------------------------------------------------------------------------- */
static void cancel_open(engine_t *e, const order_t *order)
{
    const bool asked = order->cancel_mono_ns != 0 && e->now.mono_ns - order->cancel_mono_ns < HELD_RETRY_NS;
    if (order_is_open(order) && !asked && !(order->flags & ORDER_PENDING_CANCEL)) {
        act_cancel(e, order);
    }
}

/* Its total becomes qty; false: that is refused, and nothing was sent. */
static bool shrink_order(engine_t *e, const order_t *order, int64_t qty)
{
    risk_out_t        result;
    const order_req_t req = {.cl_ord_id       = cl_ord_id_make(e->s->boot.epoch, ORIGIN_ENGINE, ++e->s->minted),
                             .orig_cl_ord_id  = order->cl_ord_id,
                             .corr_hi         = order->corr_hi,
                             .corr_lo         = order->corr_lo,
                             .tenant_id       = order->tenant_id,
                             .account_id      = order->account_id,
                             .strategy_id     = order->strategy_id,
                             .instrument_id   = order->instrument_id,
                             .px              = order->px,
                             .qty             = qty,
                             .created_mono_ns = e->now.mono_ns,
                             .action          = ORDER_ACTION_REPLACE,
                             .side            = order->side,
                             .ord_type        = ORD_TYPE_LIMIT,
                             .tif             = order->tif,
                             .exec_inst       = order->exec_inst};
    return !(order->flags & ORDER_PENDING_CANCEL) &&
           capability_offers(act_venue(e, venue_of(e, order->instrument_id)), VENUE_REPLACE) &&
           act_send(e, &req, RISK_MODE_ORDER, NULL, &result) == RISK_ACCEPTED;
}

static void cancel_slices(engine_t *e, const held_t *h)
{
    uint32_t left = h->open_slices;
    for (uint32_t i = h->slices, next; left > 0; i = next) {
        const held_slice_t *slice = held_slice_at(e->held_orders, i);
        next                      = slice->next;
        if (slice->open) {
            left--;
            cancel_open(e, order_of(e, slice));
        }
    }
}

/* ---- time -------------------------------------------------------------------------------------------------------- */
static algo_plan_t plan_of(const engine_t *e, const held_t *h)
{
    const instrument_def_t *def   = &e->ins[h->terms.instrument_id].ins.def;
    const algo_curve_t     *curve = &e->held_markets[h->terms.instrument_id].curve;
    return (algo_plan_t){.start_utc_ns = h->start_utc_ns,
                         .end_utc_ns   = max_i64(h->terms.expire_utc_ns, h->start_utc_ns + 1),
                         .qty          = h->terms.qty,
                         .lot          = def->lot,
                         .slots = algo_slots(h->terms.algo_arg, h->terms.expire_utc_ns - h->start_utc_ns, h->terms.qty,
                                             def->lot, def->min_qty),
                         .curve = h->terms.algo == ALGO_VWAP && curve->days ? curve : NULL};
}

/* When it ends by itself; HELD_NEVER. The day of a DAY order that the venue knows is the venue's while it is there. */
static int64_t expires(const engine_t *e, const held_t *h)
{
    if (h->terms.tif == TIF_GTD || scheduled(h)) {
        return h->terms.expire_utc_ns;
    }
    if (h->terms.tif == TIF_DAY && (h->open_slices == 0 || !held_tif_known(e, h->terms.instrument_id, TIF_DAY))) {
        return (h->start_utc_ns / NS_PER_DAY + 1) * NS_PER_DAY;
    }
    return HELD_NEVER;
}

static void set_due(engine_t *e, uint32_t row)
{
    const held_t *h    = at(e, row);
    int64_t       due  = HELD_NEVER;
    const bool    busy = (h->flags & (HELD_ENDING | HELD_CLEARING)) != 0;
    if (!(h->flags & HELD_ENDING)) {
        due = expires(e, h);
        if ((h->flags & HELD_STARTED) && h->ord_status != ORD_STATUS_SUSPENDED) {
            const algo_plan_t plan = plan_of(e, h);
            due                    = h->slot < plan.slots ? min_i64(due, algo_slot_ns(&plan, h->slot)) : due;
        }
    }
    if (busy || h->wait_utc_ns != 0) {
        due = min_i64(due, max_i64(h->wait_utc_ns, e->now.utc_ns + 1));
    }
    if (due != h->due_utc_ns) {
        held_due(e->held_orders, row, due == HELD_NEVER ? 0 : max_i64(due, 1));
    }
}

static void wait_a_while(engine_t *e, held_t *h)
{
    h->wait_utc_ns = e->now.utc_ns + HELD_RETRY_NS;
}

/* ---- ends -------------------------------------------------------------------------------------------------------- */
/* Has the venue's own report of the row's one order, under the same id, said already how it ended? */
static bool said_by_venue(const engine_t *e, const held_t *h, ord_status_t as)
{
    if (!(h->flags & HELD_KEPT_ID) || held_slice_at(e->held_orders, h->slices)->next != HELD_NONE) {
        return false;
    }
    const order_t *order = order_of(e, held_slice_at(e->held_orders, h->slices));
    return order && order->closed_as == (uint8_t)as;
}

void held_finish(engine_t *e, uint32_t row, ord_status_t as, uint16_t code)
{
    held_t    *h     = at(e, row);
    const bool quiet = said_by_venue(e, h, as);
    held_close(e->held_orders, row, as);
    if (!quiet) {
        const exec_type_t type = as == ORD_STATUS_REJECTED  ? EXEC_TYPE_REJECTED
                                 : as == ORD_STATUS_EXPIRED ? EXEC_TYPE_EXPIRED
                                 : as == ORD_STATUS_FILLED  ? EXEC_TYPE_ORDER_STATUS
                                                            : EXEC_TYPE_CANCELED;
        held_tell(e, row, type, code);
    }
    if (h->list_head == row) {
        list_first_ended(e, row);
    }
    if (h->list_head != HELD_NONE) {
        list_look(e, h->list_head);
    }
}

void held_end(engine_t *e, uint32_t row, ord_status_t as)
{
    held_t *h = at(e, row);
    if (ended(h)) {
        return;
    }
    if (!(h->flags & HELD_ENDING)) {
        h->flags |= HELD_ENDING;
        h->end_as = (uint8_t)as;
        held_watch(e->held_orders, row, false);
    }
    if (h->open_slices == 0) {
        held_finish(e, row, h->end_as, 0);
        return;
    }
    cancel_slices(e, h);
    wait_a_while(e, h);
    set_due(e, row);
}

/* ---- leaving ----------------------------------------------------------------------------------------------------- */
/* Reasons that pass by themselves. */
static bool waits_for(uint16_t code)
{
    return (code >= RISK_SESSION_CLOSED && code <= RISK_CANCEL_ONLY) ||
           (code >= RISK_RECOVERING && code <= RISK_FEED_GAP && code != RISK_LIMIT_MISSING) ||
           code == RISK_VOLATILITY_PAUSE || (code >= RISK_RATE_ORDERS && code <= RISK_RATE_VALUE) ||
           code == RISK_DUPLICATE_ORDER || code == RISK_VENUE_BUDGET;
}

/* Reasons in which its list's other orders have a part. */
static bool crowded(uint16_t code)
{
    return code == RISK_REDUCE_ONLY || (code >= RISK_MAX_LONG && code <= RISK_MAX_TURNOVER) ||
           code == RISK_SELF_TRADE || (code >= RISK_DAY_LOSS && code <= RISK_DRAWDOWN) ||
           code == RISK_SHORT_NOT_PERMITTED;
}

/* Self-trade prevention in a mode that waits. CANCEL_OLDEST: the orders that it would trade with are cancelled. DECREMENT: the
 * smaller quantity comes off both, once: an order with a request under way has been made smaller already, and one whose cancel
 * was refused is cancelled again. Where a REPLACE is refused, all of the new one is gone and the other stays as it was. */
static void yield_crossed(engine_t *e, uint32_t row, const order_req_t *req, const risk_out_t *result)
{
    held_t *h = at(e, row);
    for (uint32_t i = risk_crossing(e->risk, e->orders, req, result->px, ORDER_NONE), next; i != ORDER_NONE; i = next) {
        const order_t *order = order_at(e->orders, i);
        next                 = risk_crossing(e->risk, e->orders, req, result->px, i);
        const bool taken     = (h->flags & HELD_YIELDED) && order->cancel_mono_ns != 0;
        if (result->stp == RISK_STP_MODE_CANCEL_OLDEST || taken) {
            cancel_open(e, order);
        } else if (order->replaces == 0 && !(order->flags & ORDER_PENDING_CANCEL) && h->terms.qty > h->cum_qty) {
            const int64_t less = min_i64(order_leaves(order), h->terms.qty - h->cum_qty);
            if (less == order_leaves(order) || !shrink_order(e, order, order->order_qty - less)) {
                cancel_open(e, order);
            }
            h->terms.qty -= less;
            h->flags |= HELD_YIELDED;
            held_tell(e, row, EXEC_TYPE_RESTATED, 0);
        }
    }
}

static void refused(engine_t *e, uint32_t row, uint16_t code, const risk_out_t *result)
{
    held_t *h = at(e, row);
    h->code   = code;
    if (!(h->flags & HELD_TOLD) || (sliced(h) && !waits_for(code))) {
        held_alarm(e, h, ALARM_HELD, code, result->verdict.observed, result->verdict.limit);
        h->flags |= HELD_TOLD;
    }
    if (waits_for(code)) {
        h->flags |= scheduled(h) ? HELD_SLOT : 0; /* its slot is not over */
        h->wait_utc_ns = e->now.utc_ns + (code == RISK_DUPLICATE_ORDER ? HELD_REPEAT_NS : HELD_RETRY_NS);
    } else if (h->terms.algo != ALGO_NONE) {
        wait_a_while(e, h);
        if (++h->denials == HELD_DENIALS_MAX) {
            h->ord_status  = ORD_STATUS_SUSPENDED;
            h->wait_utc_ns = 0;
            held_tell(e, row, EXEC_TYPE_RESTATED, code);
        }
    } else {
        h->flags |= HELD_ENDING;
        h->end_as = h->cum_qty > 0 ? ORD_STATUS_CANCELED : ORD_STATUS_REJECTED;
        if (h->open_slices == 0) {
            held_finish(e, row, h->end_as, code);
        }
    }
}

static order_req_t child_of(engine_t *e, const held_t *h, int64_t qty)
{
    const bool  keep  = !sliced(h) && !(h->flags & HELD_KEPT_ID);
    const bool  limit = limited(h);
    order_req_t req   = {.cl_ord_id =
                           keep ? h->terms.cl_ord_id : cl_ord_id_make(e->s->boot.epoch, ORIGIN_ENGINE, ++e->s->minted),
                         .corr_hi         = h->terms.corr_hi,
                         .corr_lo         = h->terms.corr_lo,
                         .tenant_id       = h->terms.tenant_id,
                         .account_id      = h->terms.account_id,
                         .strategy_id     = h->terms.strategy_id,
                         .instrument_id   = h->terms.instrument_id,
                         .px              = limit ? h->terms.px : 0,
                         .qty             = qty,
                         .created_mono_ns = e->now.mono_ns,
                         .action          = ORDER_ACTION_NEW,
                         .side            = h->terms.side,
                         .ord_type        = limit ? ORD_TYPE_LIMIT : ORD_TYPE_MARKET,
                         .tif             = h->terms.tif,
                         .exec_inst       = h->terms.exec_inst,
                         .position_effect = h->terms.position_effect};
    if (auction(h)) {
        return req; /* act_send says in which words */
    }
    if (!limit) {
        req.tif = h->terms.tif == TIF_FOK ? TIF_FOK : TIF_IOC;
    } else if (req.tif == TIF_GTD || !held_tif_known(e, req.instrument_id, req.tif)) {
        req.tif = TIF_GTC;
    }
    return req;
}

/* One order of qty; true: it is out. */
static bool leave(engine_t *e, uint32_t row, int64_t qty)
{
    held_t    *h      = at(e, row);
    risk_out_t result = {0};
    if (list_out(e, h, (h->flags & HELD_ALONE) != 0)) {
        wait_a_while(e, h);
        return false;
    }
    if (!held_slice_room(e->held_orders)) {
        refused(e, row, RISK_RING_FULL, &result);
        return false;
    }
    const order_req_t req  = child_of(e, h, qty);
    const uint16_t    code = act_send(e, &req, RISK_MODE_RELEASE, NULL, &result);
    if (code == RISK_ACCEPTED) {
        held_slice_open(e->held_orders, row, req.cl_ord_id, qty);
        held_watch(e->held_orders, row, false);
        h->flags   = (uint16_t)((h->flags | (req.cl_ord_id == h->terms.cl_ord_id ? HELD_KEPT_ID : 0)) & ~HELD_ALONE);
        h->stage   = HELD_STAGE_OUT;
        h->denials = 0;
        h->wait_utc_ns = 0;
        return true;
    }
    if (code == RISK_SELF_TRADE &&
        (result.stp == RISK_STP_MODE_CANCEL_OLDEST || result.stp == RISK_STP_MODE_DECREMENT)) {
        yield_crossed(e, row, &req, &result);
        wait_a_while(e, h);
        held_watch(e->held_orders, row, true); /* until an order of the instrument dies */
        if (h->terms.qty <= h->cum_qty) {
            held_end(e, row, ORD_STATUS_CANCELED);
        }
    } else if (crowded(code) && h->terms.contingency == CONTINGENCY_OCO && list_out(e, h, true)) {
        h->flags |= HELD_ALONE;
        list_end_others(e, row);
        wait_a_while(e, h);
    } else {
        refused(e, row, code, &result);
    }
    return false;
}

/* What may leave now: all that is free, or as much as the algorithm lets. */
static int64_t want_qty(const engine_t *e, const held_t *h)
{
    const int64_t left = h->free_qty - h->cum_qty - open_qty(e, h);
    if (h->terms.algo == ALGO_ICEBERG) {
        return h->open_slices || h->ord_status == ORD_STATUS_SUSPENDED ? 0 : algo_iceberg(left, h->terms.display_qty);
    }
    if (scheduled(h)) {
        if (!(h->flags & HELD_SLOT) || h->open_slices || h->slot == 0 || h->ord_status == ORD_STATUS_SUSPENDED) {
            return 0;
        }
        const algo_plan_t plan = plan_of(e, h);
        const int64_t     qty  = min_i64(left, algo_target(&plan, h->slot - 1) - h->cum_qty);
        return qty < e->ins[h->terms.instrument_id].ins.def.min_qty ? 0 : qty;
    }
    return left;
}

/* More is open than may be: the newest give way. */
static void fit(engine_t *e, held_t *h, int64_t excess)
{
    uint32_t left = h->open_slices;
    for (uint32_t i = h->slices, next; left > 0 && excess > 0; i = next) {
        held_slice_t  *slice = held_slice_at(e->held_orders, i);
        const order_t *order = order_of(e, slice);
        const int64_t  here  = slice->open ? slice_leaves(e, slice) : 0;
        const int64_t  off   = min_i64(here, excess);
        next                 = slice->next;
        left -= slice->open;
        excess -= off;
        if (off == 0) {
            continue;
        }
        const int64_t qty = order->exec_qty + here - off;
        if (off < here && shrink_order(e, order, qty)) {
            slice->want_qty  = qty;
            slice->shrinking = 1;
        } else {
            slice->want_qty = order->exec_qty;
        }
    }
}

/* Slices that were given up: cancelled, again and again; true: there is one, and until it is dead nothing leaves. */
static bool clear_given_up(engine_t *e, held_t *h)
{
    bool     found = false;
    uint32_t left  = h->open_slices;
    for (uint32_t i = h->slices; left > 0; i = held_slice_at(e->held_orders, i)->next) {
        const held_slice_t *slice = held_slice_at(e->held_orders, i);
        left -= slice->open;
        if (slice->open && given_up(e, slice) && order_is_open(order_of(e, slice))) {
            cancel_open(e, order_of(e, slice));
            found = true;
        }
    }
    if (found) {
        wait_a_while(e, h);
    }
    return found;
}

/* ---- stages ------------------------------------------------------------------------------------------------------ */
static void start(engine_t *e, held_t *h)
{
    if (scheduled(h) && !(h->flags & HELD_STARTED)) {
        h->flags |= HELD_STARTED;
        h->start_utc_ns = e->now.utc_ns;
    }
    if (h->flags & HELD_STARTED) { /* slots that have come; several after a hole count as the last of them */
        const algo_plan_t plan = plan_of(e, h);
        while (h->slot < plan.slots && algo_slot_ns(&plan, h->slot) <= e->now.utc_ns) {
            h->slot++;
            h->flags |= HELD_SLOT;
        }
        if ((h->flags & HELD_SLOT) && h->open_slices) { /* what the slot before has left open is carried on */
            h->flags |= HELD_CLEARING;
            cancel_slices(e, h);
            wait_a_while(e, h);
        }
    }
}

/* true: nothing but the gate stands between it and the venue. */
static bool advance(engine_t *e, uint32_t row)
{
    held_t *h = at(e, row);
    if (h->stage == HELD_STAGE_OUT || h->stage == HELD_STAGE_READY) {
        return true;
    }
    if (h->free_qty == 0) {
        h->stage = HELD_STAGE_LIST;
        return false;
    }
    if (conditional(h) && !(h->flags & HELD_TRIGGERED)) {
        h->stage = HELD_STAGE_TRIGGER;
        held_watch(e->held_orders, row, true);
        if (!held_triggers(e, row)) {
            return false;
        }
        held_watch(e->held_orders, row, false);
        h->flags |= HELD_TRIGGERED;
        held_tell(e, row, EXEC_TYPE_TRIGGERED, 0);
    }
    if (auction(h) && !(h->flags & HELD_AUCTION)) {
        h->stage = HELD_STAGE_SESSION;
        if (!held_in_auction(e, h->terms.instrument_id, h->terms.tif)) {
            return false;
        }
        h->flags |= HELD_AUCTION;
    }
    h->stage = HELD_STAGE_READY;
    return true;
}

/* MARKET_TO_LIMIT: its first order is over. What is left rests at the price of what was filled, on the tick, not worse. */
static void rest(engine_t *e, uint32_t row)
{
    held_t             *h   = at(e, row);
    const instrument_t *ins = &e->ins[h->terms.instrument_id].ins;
    const int64_t       px  = average_px(h);
    h->flags |= HELD_REST;
    h->terms.px = h->terms.side == SIDE_BUY ? instrument_round_down(ins, px) : instrument_round_up(ins, px);
    held_tell(e, row, EXEC_TYPE_RESTATED, 0);
}

/* Nothing of it is open, and it is not over. How its newest order ended says how it goes on; true: it does. */
static bool goes_on(engine_t *e, uint32_t row)
{
    held_t *h = at(e, row);
    if (h->flags & HELD_CLEARING) {
        h->flags       = (uint16_t)(h->flags & ~HELD_CLEARING);
        h->wait_utc_ns = 0;
        return true;
    }
    if (h->slices == HELD_NONE || h->stage != HELD_STAGE_OUT) {
        return true;
    }
    const held_slice_t *newest = held_slice_at(e->held_orders, h->slices);
    const order_t      *order  = order_of(e, newest);
    const uint8_t       as     = order ? order->closed_as : ORD_STATUS_CANCELED;
    if (order && given_up(e, newest)) {
        h->wait_utc_ns = 0;
        return true;
    }
    if (as == ORD_STATUS_FILLED || scheduled(h)) {
        return true;
    }
    if (h->terms.ord_type == ORD_TYPE_MARKET_TO_LIMIT && !(h->flags & HELD_REST) && h->cum_qty > 0) {
        rest(e, row);
        return true;
    }
    if (h->terms.algo == ALGO_ICEBERG && as == ORD_STATUS_REJECTED) {
        return true; /* held_exec counted the denial */
    }
    held_end(e, row, as);
    return false;
}

/* Nothing of it is open, and what may leave of it is less than an order may be: it is over, unless more becomes free. */
static bool exhausted(const engine_t *e, const held_t *h)
{
    return !list_frees_more(e, h) &&
           h->free_qty - h->cum_qty < max_i64(e->ins[h->terms.instrument_id].ins.def.min_qty, 1);
}

/* The stage is READY or OUT: make what is open what it should be. */
static void work(engine_t *e, uint32_t row)
{
    held_t *h = at(e, row);
    start(e, h);
    const int64_t excess = h->cum_qty + open_qty(e, h) - h->free_qty;
    if (excess > 0) {
        fit(e, h, excess);
    }
    if (clear_given_up(e, h) || (h->flags & HELD_CLEARING) || h->wait_utc_ns > e->now.utc_ns) {
        return;
    }
    h->wait_utc_ns    = 0;
    const int64_t qty = want_qty(e, h);
    if (scheduled(h)) {
        h->flags = (uint16_t)(h->flags & ~HELD_SLOT);
    }
    if (qty > 0 && leave(e, row, qty) && h->terms.algo == ALGO_NONE) {
        h->flags = (uint16_t)(h->flags & ~HELD_TOLD);
    }
}

void held_settle(engine_t *e, uint32_t row)
{
    held_t *h = at(e, row);
    if (ended(h)) {
        return;
    }
    if (h->open_slices == 0) {
        if (h->flags & HELD_ENDING) {
            held_finish(e, row, h->end_as, 0);
            return;
        }
        if (h->cum_qty >= h->terms.qty) {
            held_finish(e, row, ORD_STATUS_FILLED, 0);
            return;
        }
        if (!goes_on(e, row)) {
            return;
        }
    }
    if (!(h->flags & HELD_ENDING)) {
        h->free_qty = list_free(e, h);
        if (h->open_slices == 0 && exhausted(e, h)) {
            held_end(e, row, ORD_STATUS_CANCELED);
            return;
        }
        if (advance(e, row)) {
            work(e, row);
        }
    }
    if (!ended(h)) {
        set_due(e, row);
    }
}

void held_clear(engine_t *e, uint32_t row)
{
    held_t *h = at(e, row);
    h->flags |= HELD_CLEARING;
    cancel_slices(e, h);
    wait_a_while(e, h);
    held_settle(e, row);
}

/* Its auction or its day is over. */
static bool session_over(const engine_t *e, const held_t *h)
{
    const session_t session = held_session_of(e, h->terms.instrument_id);
    if (auction(h)) {
        return (session == SESSION_OPEN && (h->terms.tif == TIF_OPG || (h->flags & HELD_AUCTION))) ||
               (session == SESSION_CLOSED && (h->terms.tif == TIF_ATC || (h->flags & HELD_AUCTION)));
    }
    return h->terms.tif == TIF_DAY && session == SESSION_CLOSED &&
           (h->open_slices == 0 || !held_tif_known(e, h->terms.instrument_id, TIF_DAY));
}

void held_time(engine_t *e, uint32_t row)
{
    const held_t *h = at(e, row);
    if (h->flags & HELD_ENDING) {
        held_end(e, row, h->end_as);
    } else if (session_over(e, h) || expires(e, h) <= e->now.utc_ns) {
        held_end(e, row, ORD_STATUS_EXPIRED);
    } else if ((h->flags & HELD_CLEARING) && h->open_slices) {
        held_clear(e, row);
    } else {
        held_settle(e, row);
    }
}

/* ---- what became of an order ------------------------------------------------------------------------------------- */
/* A request about a slice's quantity was answered, ours to make it smaller or its owner's. */
static void slice_replaced(held_t *h, held_slice_t *slice, const order_t *order)
{
    if (order->replaces != 0 || slice->want_qty == order->order_qty || slice->want_qty <= order->exec_qty) {
        return;
    }
    if (slice->shrinking) { /* refused: it is given up instead */
        slice->want_qty = order->exec_qty;
    } else {
        h->terms.qty += order->order_qty - slice->want_qty;
        h->whole_qty    = 0;
        slice->want_qty = order->order_qty;
    }
}

/* It is gone, and neither was it filled nor did we ask. */
static void slice_lost(engine_t *e, held_t *h, const held_slice_t *slice, const order_t *order)
{
    const bool asked = (h->flags & (HELD_ENDING | HELD_CLEARING)) != 0 || given_up(e, slice);
    if (order->closed_as == ORD_STATUS_FILLED || asked || order->tif == TIF_IOC || order->tif == TIF_FOK) {
        return;
    }
    held_alarm(e, h, ALARM_HELD, 0, order->closed_as, 0);
    if (order->closed_as == ORD_STATUS_REJECTED && h->terms.algo != ALGO_NONE) {
        wait_a_while(e, h);
        if (++h->denials == HELD_DENIALS_MAX) {
            h->ord_status  = ORD_STATUS_SUSPENDED;
            h->wait_utc_ns = 0;
        }
    }
}

static void slice_reported(engine_t *e, uint32_t found, const order_t *order)
{
    held_slice_t  *slice  = held_slice_at(e->held_orders, found);
    held_t        *h      = at(e, slice->row);
    const uint32_t row    = slice->row;
    const int64_t  before = h->cum_qty;
    held_slice_count(e->held_orders, found, order->cum_qty, order->px_qty);
    if (h->cum_qty != before) {
        if (h->cum_qty > before && list_crossed(e, h)) {
            held_alarm(e, h, ALARM_LIST, 0, h->cum_qty, h->free_qty);
        }
        if (h->list_head == row && ended(h)) {
            list_first_late(e, row);
        }
        if (!ended(h) && h->ord_status != ORD_STATUS_SUSPENDED) {
            h->ord_status = (uint8_t)status_working(h);
        }
        if (sliced(h) && (ended(h) || h->cum_qty < h->terms.qty)) {
            held_tell(e, row, EXEC_TYPE_ORDER_STATUS, 0);
        }
    }
    if (slice->open) {
        slice_replaced(h, slice, order);
        if (!sliced(h) && order->ord_type == ORD_TYPE_LIMIT && limited(h)) {
            h->terms.px = order->px;
        }
        slice->shrinking = slice->shrinking && order->replaces != 0;
        if (!order_is_open(order) && order_gap(order) == 0) {
            held_slice_end(e->held_orders, found);
            slice_lost(e, h, slice, order);
        }
    }
    held_settle(e, row);
    if (h->list_head != HELD_NONE) {
        list_look(e, h->list_head);
    }
}

void held_exec(engine_t *e, const order_effect_t *effect)
{
    if (held_rows(e->held_orders) == 0 || effect->row == ORDER_NONE) {
        return;
    }
    const order_t *order = order_at(e->orders, effect->row);
    const uint32_t slice = held_slice_find(e->held_orders, order->cl_ord_id);
    if (slice != HELD_NONE) {
        slice_reported(e, slice, order);
    }
    if (!order_is_open(order)) { /* those that waited for its death */
        for (uint32_t row = held_watch_first(e->held_orders, order->instrument_id), next; row != HELD_NONE;
             row          = next) {
            next = held_watch_next(e->held_orders, row);
            if (at(e, row)->stage == HELD_STAGE_READY) {
                at(e, row)->wait_utc_ns = 0;
                held_settle(e, row);
            }
        }
    }
}
