#include "core/match/own.h"

#include <assert.h>
#include <string.h>

#include "core/types/hash.h"

/* ---- life ------------------------------------------------------------------------------------------------------- */

static const own_order_t *own_rows_const(const own_t *own)
{
    return (const own_order_t *)(own + 1);
}
static id_slot_t *own_slots(own_t *own)
{
    return (id_slot_t *)(own_rows(own) + own->rows_max);
}

size_t own_align(void)
{
    return _Alignof(own_t);
}

size_t own_footprint(uint32_t rows_max)
{
    if (rows_max == 0 || rows_max > OWN_ROWS_MAX) {
        err_set(ERR_ARG, "simulated venue: %u open orders, limit 1..%u", rows_max, OWN_ROWS_MAX);
        return 0;
    }
    return sizeof(own_t) + rows_max * sizeof(own_order_t) + id_map_slots(rows_max) * sizeof(id_slot_t);
}

own_t *own_new(void *mem, uint32_t rows_max, uint64_t session)
{
    const size_t bytes = own_footprint(rows_max);
    if (bytes == 0) {
        return NULL;
    }
    memset(mem, 0, bytes);
    own_t *own      = mem;
    own->session    = session;
    own->rows_max   = rows_max;
    own->slot_count = id_map_slots(rows_max);
    for (uint32_t row = 0; row < rows_max; row++) {
        own_rows(own)[row].next = row + 1 < rows_max ? row + 1 : OWN_NONE;
    }
    return own;
}

uint32_t own_find(const own_t *own, uint64_t cl_ord_id)
{
    const id_slot_t *slots = (const id_slot_t *)(own_rows_const(own) + own->rows_max);
    const uint32_t   row   = cl_ord_id == 0 ? ID_MAP_NONE : id_map_find(slots, own->slot_count, cl_ord_id);
    return row == ID_MAP_NONE ? OWN_NONE : row;
}

const own_order_t *own_next(const own_t *own, uint32_t *row)
{
    const own_order_t *rows = own_rows_const(own);
    while (*row < own->rows_max) {
        const own_order_t *order = &rows[(*row)++];
        if (order->open == 1) {
            return order;
        }
    }
    return NULL;
}

uint64_t own_order_id(own_t *own)
{
    return ++own->order_count;
}

static void own_free(own_t *own, uint32_t row)
{
    own_order_t *order = &own_rows(own)[row];
    id_map_drop(own_slots(own), own->slot_count, order->req.cl_ord_id);
    *order         = (own_order_t){.next = own->free_head};
    own->free_head = row;
    own->open_count--;
}

/* ---- the door --------------------------------------------------------------------------------------------------- */

static venue_reject_t check_terms(const order_req_t *req)
{
    const bool limit     = req->ord_type == ORD_TYPE_LIMIT;
    const bool immediate = req->tif == TIF_IOC || req->tif == TIF_FOK;
    const bool known     = (limit || req->ord_type == ORD_TYPE_MARKET) &&
                       (req->side == SIDE_BUY || req->side == SIDE_SELL) &&
                       (immediate || req->tif == TIF_DAY || req->tif == TIF_GTC) &&
                       (req->exec_inst & ~(EXEC_INST_POST_ONLY | EXEC_INST_REDUCE_ONLY)) == 0;
    if (!known || ((req->exec_inst & EXEC_INST_POST_ONLY) != 0 && (!limit || immediate))) {
        return VENUE_REJECT_UNSUPPORTED;
    }
    return VENUE_REJECT_NONE;
}

static venue_reject_t check_qty(const instrument_def_t *def, int64_t qty)
{
    const bool fits = qty > 0 && qty >= def->min_qty && qty % def->lot == 0;
    return fits ? VENUE_REJECT_NONE : VENUE_REJECT_QTY;
}

/* Without a price (a market order without a collar) there is nothing to check against band, tick and notional. */
static venue_reject_t check_px(const instrument_t *ins, ord_type_t ord_type, int64_t px, int64_t qty)
{
    const instrument_def_t *def = &ins->def;
    if (ord_type == ORD_TYPE_MARKET && px == 0) {
        return VENUE_REJECT_NONE;
    }
    if (px <= 0 && !def->allow_negative) {
        return VENUE_REJECT_PX_BAND;
    }
    if (ord_type == ORD_TYPE_LIMIT) {
        const bool banded = def->band_lower != 0 || def->band_upper != 0;
        if (banded && (px < def->band_lower || px > def->band_upper)) {
            return VENUE_REJECT_PX_BAND;
        }
        if (!instrument_on_tick(ins, px)) {
            return VENUE_REJECT_PX_TICK;
        }
    }
    int64_t notional;
    if (!instrument_notional(ins, px, qty, &notional) || notional < def->min_notional) {
        return VENUE_REJECT_NOTIONAL;
    }
    return VENUE_REJECT_NONE;
}

venue_reject_t own_check_new(const own_t *own, const instrument_t *ins, const order_req_t *req)
{
    if (ins == NULL) {
        return VENUE_REJECT_UNKNOWN_SYMBOL;
    }
    venue_reject_t code = check_terms(req);
    if (code == VENUE_REJECT_NONE && (req->cl_ord_id == 0 || own_find(own, req->cl_ord_id) != OWN_NONE)) {
        code = VENUE_REJECT_DUPLICATE;
    }
    if (code == VENUE_REJECT_NONE) {
        code = check_qty(&ins->def, req->qty);
    }
    if (code == VENUE_REJECT_NONE) {
        code = check_px(ins, (ord_type_t)req->ord_type, req->px, req->qty);
    }
    if (code == VENUE_REJECT_NONE && own->open_count == own->rows_max) {
        code = VENUE_REJECT_OVERLOAD;
    }
    return code;
}

venue_reject_t own_check_replace(const instrument_t *ins, const own_order_t *order, const order_req_t *req)
{
    venue_reject_t code = check_qty(&ins->def, req->qty);
    if (code == VENUE_REJECT_NONE && req->qty <= order->cum_qty) {
        code = VENUE_REJECT_QTY;
    }
    if (code == VENUE_REJECT_NONE) {
        code = check_px(ins, ORD_TYPE_LIMIT, req->px, req->qty);
    }
    return code;
}

/* ---- reports ---------------------------------------------------------------------------------------------------- */

static exec_report_t *report_add(own_t *own, exec_type_t exec_type, int64_t ts_ns, exec_out_t *out)
{
    assert(out->count < out->cap);
    exec_report_t *report = &out->reports[out->count++];
    *report               = (exec_report_t){.exec_id_hi  = own->session,
                                            .exec_id_lo  = ++own->exec_count,
                                            .exec_type   = (uint8_t)exec_type,
                                            .ts_event_ns = ts_ns};
    return report;
}

static exec_report_t *report_order(own_t *own, const own_order_t *order, exec_type_t exec_type, int64_t ts_ns,
                                   exec_out_t *out)
{
    exec_report_t *report = report_add(own, exec_type, ts_ns, out);
    report->cl_ord_id     = order->req.cl_ord_id;
    report->order_id_hi   = own->session;
    report->order_id_lo   = order->order_id;
    report->corr_hi       = order->req.corr_hi;
    report->corr_lo       = order->req.corr_lo;
    report->account_id    = order->req.account_id;
    report->strategy_id   = order->req.strategy_id;
    report->instrument_id = order->req.instrument_id;
    report->side          = order->req.side;
    report->cum_qty       = order->cum_qty;
    report->leaves_qty    = own_leaves(order);
    report->order_qty     = order->req.qty;
    report->px            = order->req.px;
    report->ord_status    = order->cum_qty > 0 ? ORD_STATUS_PARTIALLY_FILLED : ORD_STATUS_NEW;
    return report;
}

uint32_t own_open(own_t *own, const order_req_t *req, int64_t ts_ns, exec_out_t *out)
{
    assert(own->open_count < own->rows_max);
    const uint32_t row   = own->free_head;
    own_order_t   *order = &own_rows(own)[row];
    own->free_head       = order->next;
    own->open_count++;
    *order = (own_order_t){.req = *req, .order_id = own_order_id(own), .next = OWN_NONE, .prev = OWN_NONE, .open = 1};
    id_map_put(own_slots(own), own->slot_count, req->cl_ord_id, row);
    report_order(own, order, EXEC_TYPE_NEW, ts_ns, out);
    return row;
}

void own_replaced(own_t *own, uint32_t row, const order_req_t *req, int64_t ts_ns, exec_out_t *out)
{
    own_order_t *order = &own_rows(own)[row];
    order->req.px      = req->px;
    order->req.qty     = req->qty;
    report_order(own, order, EXEC_TYPE_REPLACED, ts_ns, out);
}

bool own_fill(own_t *own, uint32_t row, const instrument_t *ins, fee_t *fee, int64_t px, int64_t qty,
              liquidity_t liquidity, int64_t ts_ns, exec_out_t *out)
{
    own_order_t *order = &own_rows(own)[row];
    assert(order->open == 1);
    assert(qty > 0 && qty <= own_leaves(order));
    order->cum_qty += qty;
    exec_report_t *report  = report_order(own, order, EXEC_TYPE_TRADE, ts_ns, out);
    report->last_px        = px;
    report->last_qty       = qty;
    report->last_liquidity = (uint8_t)liquidity;
    report->fee            = fee_charge(fee, &order->fee, ins, liquidity, px, qty, ts_ns);
    if (own_leaves(order) > 0) {
        return false;
    }
    report->ord_status = ORD_STATUS_FILLED;
    own_free(own, row);
    return true;
}

void own_close(own_t *own, uint32_t row, exec_type_t exec_type, int64_t ts_ns, exec_out_t *out)
{
    assert(own_rows(own)[row].open == 1);
    assert(exec_type == EXEC_TYPE_CANCELED || exec_type == EXEC_TYPE_EXPIRED);
    exec_report_t *report = report_order(own, &own_rows(own)[row], exec_type, ts_ns, out);
    report->leaves_qty    = 0;
    report->ord_status    = exec_type == EXEC_TYPE_CANCELED ? ORD_STATUS_CANCELED : ORD_STATUS_EXPIRED;
    own_free(own, row);
}

void own_report_reject(own_t *own, const order_req_t *req, venue_reject_t code, int64_t ts_ns, exec_out_t *out)
{
    const bool     is_new = req->action != ORDER_ACTION_REPLACE && req->action != ORDER_ACTION_CANCEL;
    const uint32_t row    = is_new ? OWN_NONE : own_find(own, req->orig_cl_ord_id);
    exec_type_t    type   = EXEC_TYPE_REJECTED;
    if (!is_new) {
        type = req->action == ORDER_ACTION_CANCEL ? EXEC_TYPE_CANCEL_REJECT : EXEC_TYPE_REPLACE_REJECT;
    }
    if (row != OWN_NONE) {
        report_order(own, &own_rows(own)[row], type, ts_ns, out)->reject_code = code;
        return;
    }
    /* An order that is not open here: the venue has nothing to say of its quantities. */
    exec_report_t *report = report_add(own, type, ts_ns, out);
    report->cl_ord_id     = is_new ? req->cl_ord_id : req->orig_cl_ord_id;
    report->corr_hi       = req->corr_hi;
    report->corr_lo       = req->corr_lo;
    report->account_id    = req->account_id;
    report->strategy_id   = req->strategy_id;
    report->instrument_id = req->instrument_id;
    report->side          = req->side;
    report->cum_qty       = is_new ? 0 : -1;
    report->leaves_qty    = is_new ? 0 : -1;
    report->order_qty     = is_new ? req->qty : 0;
    report->px            = is_new ? req->px : 0;
    report->ord_status    = is_new ? ORD_STATUS_REJECTED : ORD_STATUS_NONE;
    report->reject_code   = code;
}

uint64_t own_hash(uint64_t hash, own_t *own)
{
    const uint64_t counters[] = {own->session, own->exec_count, own->order_count, own->open_count};
    hash                      = hash_bytes(hash, counters, sizeof counters);
    for (uint32_t row = 0; row < own->rows_max; row++) {
        const own_order_t *order = &own_rows(own)[row];
        if (order->open == 1) {
            hash = hash_bytes(hash_u64(hash, row), order, sizeof *order);
        }
    }
    return hash;
}

_Static_assert(sizeof(own_order_t) == sizeof(order_req_t) + 72, "no padding: rows are hashed whole");
_Static_assert(sizeof(own_t) % _Alignof(own_order_t) == 0, "rows follow the head");
