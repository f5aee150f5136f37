/* Lists of held orders: what one lets the others leave, and what becomes of them.
 *
 * OCO       the first fill of one cancels the others, and so does a CANCEL of one; a fill of a second is ALARM LIST and booked.
 * OUO       see list_free().
 * OTO       its children may leave as much as the first order has filled of its own. When that ends before it is filled, they
 *           are cut to that part, and cancelled where it is less than an order may be; a fill of it that comes late makes them
 *           grow again, unless their owner has replaced them since. Where none is left to grow: ALARM LIST.
 * Lost      an order that the venue rejects, ends or loses is ALARM HELD with code 0, and the others stay: a refused
 *           take-profit must not take the stop away. While an order of an OCO or OUO list is UNKNOWN no other of it leaves.
 * Denied    a child of an OTO that is denied when it comes (but for an id that was there before): the whole list is REJECTED
 *           with its code and EXEC_DENIED while the first order has not left; when that has, ALARM LIST with the code, and
 *           ORDER_STATUS of the first order with it to its owner, whose decision it is. */
#include "core/engine/engine_private.h"

static held_t *at(const engine_t *e, uint32_t row)
{
    return held_at(e->held_orders, row);
}

static bool ended(const held_t *h)
{
    return h->stage == HELD_STAGE_DONE;
}

static bool is_first_of_oto(const held_t *h)
{
    return h->terms.contingency == CONTINGENCY_OTO;
}

/* Of one list, and each bears on the other: OCO and OUO; the first of an OTO stands above them. */
static bool siblings(const held_t *a, const held_t *b)
{
    return a != b && a->terms.contingency == b->terms.contingency && a->terms.contingency != CONTINGENCY_NONE &&
           a->terms.contingency != CONTINGENCY_OTO;
}

static int64_t on_lot(const engine_t *e, const held_t *h, i128_t qty)
{
    const int64_t lot = e->ins[h->terms.instrument_id].ins.def.lot;
    return qty <= 0 ? 0 : (int64_t)(qty / lot) * lot;
}

/* How much of it may leave at all, filled or not: its whole, but
 *   after an OTO       as much of it as the first order has filled of its own
 *   OUO, absolute      less what the others have filled; proportional: less the same part of it. Rounded down to the lot */
int64_t list_free(const engine_t *e, const held_t *h)
{
    i128_t qty = h->terms.qty;
    if (h->list_head == HELD_NONE) {
        return h->terms.qty;
    }
    const held_t *head = at(e, h->list_head);
    if (is_first_of_oto(head) && h != head && !ended(head)) {
        qty = on_lot(e, h, qty * head->cum_qty / head->terms.qty);
    }
    const bool absolute = h->terms.contingency == CONTINGENCY_OUO_ABSOLUTE;
    for (uint32_t i = h->list_head; i != HELD_NONE; i = at(e, i)->list_next) {
        const held_t *other = at(e, i);
        if (siblings(h, other) && h->terms.contingency != CONTINGENCY_OCO && other->cum_qty > 0) {
            qty -= absolute ? other->cum_qty : div_ceil((i128_t)h->terms.qty * other->cum_qty, other->terms.qty);
        }
    }
    return max_i64(on_lot(e, h, qty), min_i64(h->cum_qty, h->terms.qty));
}

/* Is an order of a sibling in a state that nobody knows, or (any) open at all? */
bool list_out(const engine_t *e, const held_t *h, bool any)
{
    for (uint32_t i = h->list_head; i != HELD_NONE; i = at(e, i)->list_next) {
        const held_t *other = at(e, i);
        uint32_t      left  = siblings(h, other) ? other->open_slices : 0;
        for (uint32_t s = other->slices; left > 0; s = held_slice_at(e->held_orders, s)->next) {
            const held_slice_t *slice = held_slice_at(e->held_orders, s);
            if (slice->open) {
                left--;
                if (any || (order_at(e->orders, order_find(e->orders, slice->cl_ord_id))->flags & ORDER_UNKNOWN)) {
                    return true;
                }
            }
        }
    }
    return false;
}

void list_end_others(engine_t *e, uint32_t row)
{
    const held_t *h = at(e, row);
    for (uint32_t i = h->list_head, next; i != HELD_NONE; i = next) {
        next = at(e, i)->list_next;
        if (siblings(h, at(e, i))) {
            held_end(e, i, ORD_STATUS_CANCELED);
        }
    }
}

void list_cancel(engine_t *e, uint32_t row)
{
    const held_t *h = at(e, row);
    if (h->terms.contingency == CONTINGENCY_OCO) {
        list_end_others(e, row);
    }
    held_end(e, row, ORD_STATUS_CANCELED);
}

/* What the first order of an OTO, which has ended, has freed of its child in all. */
static int64_t part_of(const engine_t *e, const held_t *h)
{
    const held_t *head  = at(e, h->list_head);
    const int64_t whole = h->whole_qty ? h->whole_qty : h->terms.qty;
    return min_i64(whole, on_lot(e, h, (i128_t)whole * head->cum_qty / head->terms.qty));
}

void list_cut(engine_t *e, uint32_t row)
{
    held_t       *h     = at(e, row);
    const int64_t least = max_i64(e->ins[h->terms.instrument_id].ins.def.min_qty, 1);
    const int64_t part  = max_i64(part_of(e, h), min_i64(h->cum_qty, h->terms.qty));
    if (at(e, h->list_head)->ord_status == ORD_STATUS_FILLED || part == h->terms.qty) {
        return;
    }
    h->whole_qty = h->whole_qty ? h->whole_qty : h->terms.qty;
    if (part < least) {
        if (part > 0) {
            held_alarm(e, h, ALARM_HELD, RISK_QTY_BELOW_MIN, part, least);
        }
        held_end(e, row, ORD_STATUS_CANCELED);
        return;
    }
    h->terms.qty = part;
    held_tell(e, row, EXEC_TYPE_RESTATED, 0);
}

/* Something happened to one of a list: look at all the others. The head ends once, and so its children are cut once. */
void list_look(engine_t *e, uint32_t head)
{
    for (uint32_t i = head, next; i != HELD_NONE; i = next) {
        next      = at(e, i)->list_next;
        held_t *h = at(e, i);
        if (ended(h) || (h->flags & HELD_ENDING)) {
            continue;
        }
        if (h->terms.contingency == CONTINGENCY_OCO) {
            bool over = false;
            for (uint32_t j = head; j != HELD_NONE; j = at(e, j)->list_next) {
                over |= siblings(h, at(e, j)) && at(e, j)->cum_qty > 0;
            }
            if (over) {
                held_end(e, i, ORD_STATUS_CANCELED);
                continue;
            }
        }
        if (!(h->flags & HELD_CLEARING)) {
            h->wait_utc_ns = 0; /* what it waits for may just have happened */
        }
        held_settle(e, i);
    }
}

bool list_frees_more(const engine_t *e, const held_t *h)
{
    const held_t *head = h->list_head == HELD_NONE ? h : at(e, h->list_head);
    return head != h && is_first_of_oto(head) && !ended(head);
}

void list_first_ended(engine_t *e, uint32_t head)
{
    for (uint32_t i = at(e, head)->list_next, next; i != HELD_NONE && is_first_of_oto(at(e, head)); i = next) {
        next = at(e, i)->list_next;
        if (!ended(at(e, i)) && !(at(e, i)->flags & HELD_ENDING)) {
            list_cut(e, i);
        }
    }
}

void list_first_late(engine_t *e, uint32_t head)
{
    const held_t *lost  = NULL;
    bool          lives = false;
    for (uint32_t i = at(e, head)->list_next, next; i != HELD_NONE && is_first_of_oto(at(e, head)); i = next) {
        next            = at(e, i)->list_next;
        const held_t *h = at(e, i);
        if (h->whole_qty == 0) {
            continue; /* it was not cut, or its owner has said since how much it is */
        }
        if (ended(h) || (h->flags & HELD_ENDING)) {
            lost = part_of(e, h) > h->cum_qty ? h : lost;
        } else {
            list_cut(e, i);
            lives = true;
        }
    }
    if (lost && !lives) {
        held_alarm(e, lost, ALARM_LIST, 0, part_of(e, lost), lost->cum_qty);
    }
}

bool list_crossed(const engine_t *e, const held_t *h)
{
    bool crossed = h->terms.contingency >= CONTINGENCY_OUO_ABSOLUTE && h->cum_qty > list_free(e, h);
    for (uint32_t i = h->list_head; i != HELD_NONE; i = at(e, i)->list_next) {
        crossed |= h->terms.contingency == CONTINGENCY_OCO && siblings(h, at(e, i)) && at(e, i)->cum_qty > 0;
    }
    return crossed;
}

void list_denied(engine_t *e, uint32_t head, uint16_t code)
{
    const held_t *h = at(e, head);
    if (!is_first_of_oto(h) || (ended(h) && h->cum_qty == 0)) {
        return;
    }
    if (h->stage >= HELD_STAGE_OUT) {
        held_alarm(e, h, ALARM_LIST, code, 0, 0);
        held_tell(e, head, EXEC_TYPE_ORDER_STATUS, code);
        return;
    }
    for (uint32_t i = head; i != HELD_NONE; i = at(e, i)->list_next) { /* first, so that none of them leaves */
        at(e, i)->flags |= HELD_ENDING;
    }
    for (uint32_t i = h->list_next; i != HELD_NONE; i = at(e, i)->list_next) {
        if (!ended(at(e, i))) {
            held_finish(e, i, ORD_STATUS_REJECTED, code);
        }
    }
    held_finish(e, head, ORD_STATUS_REJECTED, code);
}
