/* What the venue says: reports folded into the table. */
#include "core/order/order_private.h"

static void alarm_raise(order_effect_t *effect, alarm_kind_t kind)
{
    effect->alarms |= 1U << kind;
}

/* The venue's word on what is filled, where a larger one means fills that we have not seen. */
static void cum_raise(order_t *o, int64_t cum_qty, int64_t gap_before, order_effect_t *effect)
{
    o->venue_cum = max_i64(o->venue_cum, cum_qty);
    if (order_gap(o) > gap_before) {
        alarm_raise(effect, ALARM_FILL_GAP);
        alarm_raise(effect, ALARM_QUERY_SENT);
    }
}

static bool px_worse(const order_t *o, int64_t px) /* for us than the limit */
{
    const int64_t eager = order_eager_px(o);
    return o->side == SIDE_BUY ? px > eager : px < eager;
}

/* The venue works on it: it has the order, and neither its day is over nor is it held back. */
static void order_works(order_t *o)
{
    o->flags     = (uint8_t)((o->flags | ORDER_ACKED) & ~(ORDER_SUSPENDED | ORDER_DONE_FOR_DAY));
    o->not_found = 0;
}

static void fill_on_order(order_t *o, const exec_report_t *rep, order_effect_t *effect)
{
    const int64_t gap     = order_gap(o);
    const bool    missing = rep->last_qty <= gap; /* one of the fills that the gap waits for */
    if (o->closed_as && o->closed_as != ORD_STATUS_FILLED && !missing) {
        alarm_raise(effect, ALARM_FILL_AFTER_DONE);
    }
    if (px_worse(o, rep->last_px)) {
        alarm_raise(effect, ALARM_WORSE_THAN_LIMIT);
    }
    o->exec_qty += rep->last_qty;
    o->cum_qty += rep->last_qty;
    o->px_qty += mul_i64(rep->last_px, rep->last_qty);
    order_works(o);
    if (o->exec_qty > order_qty_reach(o)) {
        alarm_raise(effect, ALARM_OVERFILL);
    }
    if (rep->cum_qty >= 0 && rep->cum_qty < o->cum_qty && !missing) {
        alarm_raise(effect, ALARM_CUM_BACKWARDS);
    }
    cum_raise(o, rep->cum_qty, gap, effect);
}

/* Can this be booked at all? effect has the ids. */
static bool fill_bookable(const order_table_t *t, const order_t *o, const exec_report_t *rep, const instrument_t *ins,
                          uint8_t side, const order_effect_t *effect)
{
    int64_t sum;
    return ins != NULL && rep->last_qty > 0 && rep->fee != INT64_MIN &&
           /* a bust gives it back negated */ (rep->exec_id_hi | rep->exec_id_lo) != 0 && effect->account_id != 0 &&
           effect->instrument_id != 0 && effect->instrument_id <= t->cfg.instruments_max &&
           (side == SIDE_BUY || side == SIDE_SELL) && !(o && __builtin_add_overflow(o->exec_qty, rep->last_qty, &sum));
}

/* o: NULL for a fill of no order of ours. */
static void apply_trade(order_table_t *t, order_t *o, const exec_report_t *rep, const instrument_t *ins,
                        order_effect_t *effect)
{
    const uint8_t side = o && rep->side == SIDE_NONE ? o->side : rep->side;
    if (!fill_bookable(t, o, rep, ins, side, effect)) {
        alarm_raise(effect, ALARM_BAD_FILL);
        return;
    }
    if (order_fill_find(t, effect->instrument_id, rep->exec_id_hi, rep->exec_id_lo)) {
        effect->duplicate = 1;
        return;
    }
    if (rep->last_px <= 0 && !ins->def.allow_negative) {
        alarm_raise(effect, ALARM_BAD_FILL_PRICE);
    }
    const bool ours = o && side == o->side;
    effect->booked  = 1;
    effect->qty     = side == SIDE_BUY ? rep->last_qty : -rep->last_qty;
    effect->px      = rep->last_px;
    effect->fee     = rep->fee;
    if (ours) {
        effect->position_effect = o->position_effect;
    }
    order_fill_add(t, &(order_fill_t){.exec_id_hi      = rep->exec_id_hi,
                                      .exec_id_lo      = rep->exec_id_lo,
                                      .cl_ord_id       = ours ? o->cl_ord_id : 0,
                                      .qty             = effect->qty,
                                      .px              = effect->px,
                                      .fee             = effect->fee,
                                      .account_id      = effect->account_id,
                                      .strategy_id     = effect->strategy_id,
                                      .instrument_id   = effect->instrument_id,
                                      .position_effect = effect->position_effect});
    if (ours) {
        fill_on_order(o, rep, effect);
    } else {
        alarm_raise(effect, o ? ALARM_SIDE_MISMATCH : ALARM_UNKNOWN_ORDER_FILL);
    }
}

/* A bust and a correction are about the order that took the fill, o; NULL: it is gone, or never was. */
static void effect_of_fill(order_effect_t *effect, const order_fill_t *fill)
{
    effect->booked          = 1;
    effect->account_id      = fill->account_id;
    effect->strategy_id     = fill->strategy_id;
    effect->position_effect = (uint8_t)fill->position_effect;
}

static void apply_bust(order_t *o, order_fill_t *fill, order_effect_t *effect)
{
    if (fill->busted) {
        effect->duplicate = 1;
        return;
    }
    fill->busted = 1;
    effect_of_fill(effect, fill);
    effect->qty = -fill->qty;
    effect->px  = fill->px;
    effect->fee = -fill->fee;
    alarm_raise(effect, ALARM_BUST);
    if (o) {
        const int64_t qty = fill->qty < 0 ? -fill->qty : fill->qty;
        o->cum_qty -= qty;
        o->px_qty -= mul_i64(fill->px, qty);
    }
}

/* What the order has of the fill becomes qty at px. */
static void correct_order(order_t *o, const order_fill_t *fill, const exec_report_t *rep, order_effect_t *effect)
{
    const int64_t was  = fill->qty < 0 ? -fill->qty : fill->qty;
    const int64_t more = rep->last_qty - was;
    const int64_t gap  = order_gap(o);
    if (px_worse(o, rep->last_px)) {
        alarm_raise(effect, ALARM_WORSE_THAN_LIMIT);
    }
    o->exec_qty += more;
    o->cum_qty += more;
    o->venue_cum = more < 0 ? max_i64(0, o->venue_cum + more) : o->venue_cum;
    o->px_qty += mul_i64(rep->last_px, rep->last_qty) - mul_i64(fill->px, was);
    if (o->exec_qty > order_qty_reach(o)) {
        alarm_raise(effect, ALARM_OVERFILL);
    }
    cum_raise(o, rep->cum_qty, gap, effect);
}

static bool correct_good(const order_t *o, const order_fill_t *fill, const exec_report_t *rep, const instrument_t *ins)
{
    const uint8_t side = fill->qty > 0 ? SIDE_BUY : SIDE_SELL;
    int64_t       sum;
    return ins != NULL && rep->last_qty > 0 && rep->fee != INT64_MIN && (rep->side == SIDE_NONE || rep->side == side) &&
           !(o && __builtin_add_overflow(o->exec_qty, rep->last_qty, &sum));
}

static void apply_correct(order_t *o, order_fill_t *fill, const exec_report_t *rep, const instrument_t *ins,
                          order_effect_t *effect)
{
    if (fill->busted) {
        alarm_raise(effect, ALARM_UNKNOWN_EXEC);
        return;
    }
    if (!correct_good(o, fill, rep, ins)) {
        alarm_raise(effect, ALARM_BAD_FILL);
        return;
    }
    const int64_t qty = fill->qty > 0 ? rep->last_qty : -rep->last_qty;
    const int64_t fee = rep->flags & EXEC_FEE_UNKNOWN ? fill->fee : rep->fee;
    if (qty == fill->qty && rep->last_px == fill->px && fee == fill->fee) {
        effect->duplicate = 1;
        return;
    }
    if (rep->last_px <= 0 && !ins->def.allow_negative) {
        alarm_raise(effect, ALARM_BAD_FILL_PRICE);
    }
    effect_of_fill(effect, fill);
    effect->corrected  = 1;
    effect->undone_qty = fill->qty;
    effect->undone_px  = fill->px;
    effect->undone_fee = fill->fee;
    effect->qty        = qty;
    effect->px         = rep->last_px;
    effect->fee        = fee;
    if (o) {
        correct_order(o, fill, rep, effect);
    }
    fill->qty = qty;
    fill->px  = rep->last_px;
    fill->fee = fee;
}

/* qty and px are in force at the venue; 0 = it does not say. */
static void order_in_force(order_t *o, int64_t px, int64_t order_qty)
{
    const int64_t value_hi = o->replaces ? o->pend_px_hi : o->px_value;
    if (px == 0) {
        px = order_eager_px(o);
    }
    if (order_qty <= 0) {
        order_qty = order_qty_reach(o);
    }
    /* A buy is valued at its limit, a sell at the reference price of its check when that is higher. */
    o->px_value  = o->side == SIDE_BUY || (o->replaces == 0 && px != o->px) ? px : max_i64(px, value_hi);
    o->px        = px;
    o->order_qty = order_qty;
}

/* What IOC, FOK, OPG and ATC leave unfilled the venue cancels: nobody asks for that. */
static bool tif_rests(const order_t *o)
{
    return o->tif != TIF_IOC && o->tif != TIF_FOK && o->tif != TIF_OPG && o->tif != TIF_ATC;
}

static bool tif_outlives_day(const order_t *o)
{
    return o->tif == TIF_GTC || o->tif == TIF_GTD;
}

static void apply_closed(order_t *o, const exec_report_t *rep, ord_status_t as, order_effect_t *effect)
{
    const int64_t gap = order_gap(o);
    if (as == ORD_STATUS_CANCELED && o->closed_as == 0 && !(o->flags & (ORDER_PENDING_CANCEL | ORDER_UNKNOWN)) &&
        tif_rests(o)) {
        alarm_raise(effect, ALARM_UNSOLICITED_CANCEL);
    }
    order_close(o, as);
    cum_raise(o, rep->cum_qty, gap, effect);
}

/* Of an order that works, or would but for the time of day or the venue's will: which of these is it? */
static void order_works_as(order_t *o, uint8_t ord_status)
{
    order_works(o);
    o->flags |= ord_status == ORD_STATUS_SUSPENDED ? ORDER_SUSPENDED : 0;
    o->flags |= ord_status == ORD_STATUS_DONE_FOR_DAY ? ORDER_DONE_FOR_DAY : 0;
}

static void apply_done_for_day(order_t *o, const exec_report_t *rep, order_effect_t *effect)
{
    const int64_t gap = order_gap(o);
    if (!tif_outlives_day(o)) {
        apply_closed(o, rep, ORD_STATUS_DONE_FOR_DAY, effect);
    } else if (o->closed_as == 0) {
        order_works_as(o, ORD_STATUS_DONE_FOR_DAY);
        o->flags = (uint8_t)(o->flags & ~ORDER_UNKNOWN);
        cum_raise(o, rep->cum_qty, gap, effect);
    }
}

/* ---- answers to requests ----------------------------------------------------------------------------------------- */

/* Channels of a venue double what they carry: was this answer heard? */
static bool answer_repeated(order_answers_t *a, const exec_report_t *rep)
{
    const bool answers = rep->exec_type == EXEC_TYPE_REPLACED || rep->exec_type == EXEC_TYPE_REPLACE_REJECT ||
                         rep->exec_type == EXEC_TYPE_CANCEL_REJECT;
    if (!answers || (rep->exec_id_hi | rep->exec_id_lo) == 0) {
        return false;
    }
    const uint64_t id[2] = {rep->exec_id_hi, rep->exec_id_lo};
    const uint32_t hash  = (uint32_t)hash_bytes(0, id, sizeof id) | 1;
    for (uint32_t i = 0; i < ORDER_ANSWERS; i++) {
        if (a->newest[i] == hash) {
            return true;
        }
    }
    memmove(a->newest + 1, a->newest, sizeof a->newest - sizeof a->newest[0]);
    a->newest[0] = hash;
    return false;
}

/* Is it the venue's newest word on price and quantity? And they overtake each other: time says which is. */
static bool answer_newest(order_answers_t *a, const exec_report_t *rep)
{
    if (rep->ts_event_ns != 0 && rep->ts_event_ns < a->force_ns) {
        return false;
    }
    a->force_ns = rep->ts_event_ns != 0 ? rep->ts_event_ns : a->force_ns;
    return true;
}

/* Can it be the answer to a replace under way? One that was settled in another way may be answered late. */
static bool answers_replace(const order_t *o, const exec_report_t *rep)
{
    return o->replaces > 0 && rep->order_qty <= o->pend_qty &&
           (rep->px == 0 || (rep->px >= o->pend_px_lo && rep->px <= o->pend_px_hi));
}

static void apply_replaced(order_t *o, order_answers_t *answers, const exec_report_t *rep)
{
    if (o->closed_as) {
        return;
    }
    const bool answer = answers_replace(o, rep);
    if (answer_newest(answers, rep)) {
        order_in_force(o, rep->px, rep->order_qty);
    }
    if (answer) {
        order_envelope_drop(o, o->replaces - 1);
    }
    order_works(o);
    o->flags = (uint8_t)(o->flags & ~ORDER_UNKNOWN);
}

static void apply_restated(order_t *o, order_answers_t *answers, const exec_report_t *rep, order_effect_t *effect)
{
    const int64_t gap = order_gap(o);
    if (o->closed_as) {
        return;
    }
    if (rep->px != 0 && px_worse(o, rep->px)) {
        alarm_raise(effect, ALARM_WORSE_THAN_LIMIT);
    }
    if ((rep->px != 0 || rep->order_qty > 0) && answer_newest(answers, rep)) {
        order_in_force(o, rep->px != 0 ? rep->px : o->px, rep->order_qty > 0 ? rep->order_qty : o->order_qty);
    }
    order_works_as(o, rep->ord_status);
    o->flags = (uint8_t)(o->flags & ~ORDER_UNKNOWN);
    cum_raise(o, rep->cum_qty, gap, effect);
}

static void apply_status_open(order_t *o, order_answers_t *answers, const exec_report_t *rep)
{
    if (o->closed_as) {
        return; /* asked before it closed, answered after */
    }
    if (o->flags & ORDER_UNKNOWN) {
        o->flags &= ORDER_ACKED | ORDER_ASK | ORDER_TRIGGERED;
        if (rep->order_qty > 0 && rep->px != 0 && answer_newest(answers, rep)) {
            order_in_force(o, rep->px, rep->order_qty);
            order_envelope_drop(o, 0);
        }
    }
    order_works_as(o, rep->ord_status);
    o->venue_cum = max_i64(rep->cum_qty >= 0 ? rep->cum_qty : o->venue_cum, o->exec_qty);
}

static void apply_status_closed(order_t *o, const exec_report_t *rep, ord_status_t as, order_effect_t *effect)
{
    if (rep->cum_qty >= 0 && rep->cum_qty < o->cum_qty) {
        alarm_raise(effect, ALARM_CUM_BACKWARDS);
    }
    if (rep->cum_qty >= 0) {
        o->venue_cum = max_i64(rep->cum_qty, o->exec_qty);
    } else if (as == ORD_STATUS_FILLED) {
        o->venue_cum = max_i64(o->venue_cum, o->order_qty);
    }
    o->flags = (uint8_t)(ORDER_ACKED | (o->flags & ORDER_TRIGGERED));
    if (as == ORD_STATUS_FILLED) {
        order_envelope_drop(o, 0); /* FILLED itself comes with the last fill: until then there is a gap */
    } else {
        order_close(o, as);
    }
}

static void apply_status(order_t *o, order_answers_t *answers, const exec_report_t *rep, order_effect_t *effect)
{
    o->flags = (uint8_t)(o->flags & ~ORDER_ASKED);
    switch (rep->ord_status) {
    case ORD_STATUS_NONE:
        o->not_found = (uint8_t)(o->not_found + (o->not_found < UINT8_MAX));
        if (o->not_found >= 2 && !(o->flags & ORDER_ACKED)) {
            order_close(o, ORD_STATUS_REJECTED);
        } else {
            o->flags |= ORDER_UNKNOWN; /* also one that we took for known */
        }
        return;
    case ORD_STATUS_FILLED:
    case ORD_STATUS_CANCELED:
    case ORD_STATUS_REJECTED:
    case ORD_STATUS_EXPIRED: apply_status_closed(o, rep, (ord_status_t)rep->ord_status, effect); break;
    case ORD_STATUS_DONE_FOR_DAY:
        if (!tif_outlives_day(o)) {
            apply_status_closed(o, rep, ORD_STATUS_DONE_FOR_DAY, effect);
            break;
        }
        apply_status_open(o, answers, rep);
        break;
    default: apply_status_open(o, answers, rep); break;
    }
    o->not_found = 0;
}

static void apply_alien(const exec_report_t *rep, order_effect_t *effect)
{
    bool working = false;
    switch (rep->exec_type) {
    case EXEC_TYPE_NEW:
    case EXEC_TYPE_RESTATED:
    case EXEC_TYPE_TRIGGERED:
    case EXEC_TYPE_DONE_FOR_DAY:
    case EXEC_TYPE_REPLACED: working = true; break;
    case EXEC_TYPE_ORDER_STATUS:
        working = rep->ord_status != ORD_STATUS_NONE && rep->ord_status != ORD_STATUS_FILLED &&
                  rep->ord_status != ORD_STATUS_CANCELED && rep->ord_status != ORD_STATUS_REJECTED &&
                  rep->ord_status != ORD_STATUS_EXPIRED;
        break;
    default: break;
    }
    alarm_raise(effect, ALARM_ALIEN_ORDER);
    if (working) {
        alarm_raise(effect, ALARM_ACCOUNT_UNRECONCILED);
    }
}

static void apply_known(order_table_t *t, order_t *o, const exec_report_t *rep, const instrument_t *ins,
                        order_effect_t *effect)
{
    order_answers_t *answers = answers_at(t, effect->row);
    if (answer_repeated(answers, rep)) {
        effect->repeated = 1;
        return;
    }
    switch (rep->exec_type) {
    case EXEC_TYPE_NEW:
        order_works(o);
        o->flags = (uint8_t)(o->flags & ~ORDER_UNKNOWN);
        break;
    case EXEC_TYPE_TRADE: apply_trade(t, o, rep, ins, effect); break;
    case EXEC_TYPE_CANCELED: apply_closed(o, rep, ORD_STATUS_CANCELED, effect); break;
    case EXEC_TYPE_EXPIRED: apply_closed(o, rep, ORD_STATUS_EXPIRED, effect); break;
    case EXEC_TYPE_REJECTED:
    case EXEC_TYPE_UNSENT: apply_closed(o, rep, ORD_STATUS_REJECTED, effect); break;
    case EXEC_TYPE_DONE_FOR_DAY: apply_done_for_day(o, rep, effect); break;
    case EXEC_TYPE_RESTATED: apply_restated(o, answers, rep, effect); break;
    case EXEC_TYPE_TRIGGERED:
        if (o->closed_as == 0) {
            order_works(o);
            o->flags = (uint8_t)((o->flags | ORDER_TRIGGERED) & ~ORDER_UNKNOWN);
        }
        break;
    case EXEC_TYPE_REPLACED: apply_replaced(o, answers, rep); break;
    case EXEC_TYPE_REPLACE_REJECT: order_envelope_drop(o, o->replaces ? o->replaces - 1 : 0); break;
    case EXEC_TYPE_CANCEL_REJECT: o->flags = (uint8_t)(o->flags & ~ORDER_PENDING_CANCEL); break;
    case EXEC_TYPE_TIMEOUT:
        if (o->closed_as == 0) {
            o->flags |= ORDER_UNKNOWN;
        }
        break;
    case EXEC_TYPE_ORDER_STATUS: apply_status(o, answers, rep, effect); break;
    case EXEC_TYPE_TRADE_CANCEL: /* of a fill that we do not know */
    case EXEC_TYPE_TRADE_CORRECT:
    default: alarm_raise(effect, ALARM_UNKNOWN_EXEC); break;
    }
}

/* The order that a report is about, ORDER_NONE when it names none or contradicts the one it names. */
static uint32_t report_row(const order_table_t *t, const exec_report_t *rep)
{
    const uint32_t row = rep->cl_ord_id ? order_find(t, rep->cl_ord_id) : ORDER_NONE;
    if (row != ORDER_NONE) {
        const order_t *o = row_at(t, row);
        if ((rep->account_id && rep->account_id != o->account_id) ||
            (rep->instrument_id && rep->instrument_id != o->instrument_id)) {
            return ORDER_NONE;
        }
    }
    return row;
}

/* The fill that a bust or correction names. */
static order_fill_t *report_fill(const order_table_t *t, const exec_report_t *rep, uint32_t instrument_id)
{
    const bool names = rep->exec_type == EXEC_TYPE_TRADE_CANCEL || rep->exec_type == EXEC_TYPE_TRADE_CORRECT;
    return names ? order_fill_find(t, instrument_id, rep->exec_id_hi, rep->exec_id_lo) : NULL;
}

static void apply_unlisted(order_table_t *t, const exec_report_t *rep, const instrument_t *ins, order_effect_t *effect)
{
    switch (rep->exec_type) {
    case EXEC_TYPE_TRADE: apply_trade(t, NULL, rep, ins, effect); break;
    case EXEC_TYPE_TRADE_CANCEL:
    case EXEC_TYPE_TRADE_CORRECT: alarm_raise(effect, ALARM_UNKNOWN_EXEC); break;
    default: apply_alien(rep, effect); break;
    }
}

void order_apply_exec(order_table_t *t, const exec_report_t *rep, const instrument_t *ins, order_effect_t *effect)
{
    uint32_t      row  = report_row(t, rep);
    order_fill_t *fill = report_fill(t, rep, row == ORDER_NONE ? rep->instrument_id : row_at(t, row)->instrument_id);
    order_t       none = {0};
    if (fill) {
        row = fill->cl_ord_id ? order_find(t, fill->cl_ord_id) : ORDER_NONE;
    }
    order_t *o             = row == ORDER_NONE ? NULL : row_at(t, row);
    *effect                = (order_effect_t){.row           = row,
                                              .account_id    = o ? o->account_id : rep->account_id,
                                              .strategy_id   = o ? o->strategy_id : rep->strategy_id,
                                              .instrument_id = o ? o->instrument_id : rep->instrument_id,
                                              .status_before = o ? o->ord_status : (uint8_t)ORD_STATUS_NONE};
    const order_seen_t was = order_look(o ? o : &none);
    if (o) {
        order_part(o, &effect->before);
    }
    if (fill && rep->exec_type == EXEC_TYPE_TRADE_CANCEL) {
        apply_bust(o, fill, effect);
    } else if (fill) {
        apply_correct(o, fill, rep, ins, effect);
    } else if (o) {
        apply_known(t, o, rep, ins, effect);
    } else {
        apply_unlisted(t, rep, ins, effect);
    }
    if (o) {
        if (!fill && (rep->order_id_hi | rep->order_id_lo)) {
            o->order_id_hi = rep->order_id_hi;
            o->order_id_lo = rep->order_id_lo;
        }
        order_settle(t, row, was, rep->exec_type != EXEC_TYPE_TIMEOUT && !effect->repeated);
        effect->status_after = o->ord_status;
        order_part(o, &effect->after);
    }
}
