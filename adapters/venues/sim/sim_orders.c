#include "adapters/venues/sim/sim_orders.h"

#include <stdlib.h>

#include "core/match/own.h"

_Static_assert(sizeof(((sim_orders_t *)0)->map) / sizeof(id_slot_t) >= 2 * SIM_ORDERS_MAX, "at most half full");

#define MAP_SLOTS (4 * SIM_ORDERS_MAX)

sim_orders_t *sim_orders_new(void)
{
    sim_orders_t *orders = calloc(1, sizeof *orders);
    for (uint32_t i = 0; orders != NULL && i < SIM_ORDERS_MAX; i++) {
        orders->rows[i].next_free = i + 1;
    }
    return orders;
}

sim_order_t *sim_orders_find(sim_orders_t *orders, uint64_t cl_ord_id)
{
    const uint32_t row = cl_ord_id == 0 ? ID_MAP_NONE : id_map_find(orders->map, MAP_SLOTS, cl_ord_id);
    return row == ID_MAP_NONE ? NULL : &orders->rows[row];
}

static sim_order_t *add(sim_orders_t *orders, uint64_t cl_ord_id)
{
    const uint32_t row = orders->free_head;
    if (row == SIM_ORDERS_MAX || cl_ord_id == 0) {
        return NULL;
    }
    sim_order_t *order = &orders->rows[row];
    orders->free_head  = order->next_free;
    orders->count++;
    *order = (sim_order_t){.cl_ord_id = cl_ord_id};
    id_map_put(orders->map, MAP_SLOTS, cl_ord_id, row);
    return order;
}

sim_order_t *sim_orders_sent(sim_orders_t *orders, const order_req_t *req)
{
    const uint64_t id    = req->action == ORDER_ACTION_NEW ? req->cl_ord_id : req->orig_cl_ord_id;
    sim_order_t   *order = sim_orders_find(orders, id);
    if (order == NULL && (order = add(orders, id)) != NULL) {
        order->corr_hi       = req->corr_hi;
        order->corr_lo       = req->corr_lo;
        order->tenant_id     = req->tenant_id;
        order->account_id    = req->account_id;
        order->strategy_id   = req->strategy_id;
        order->instrument_id = req->instrument_id;
        order->side          = req->side;
        order->acked         = req->action != ORDER_ACTION_NEW;
    }
    if (order != NULL) {
        order->waiting++;
    }
    return order;
}

void sim_orders_drop(sim_orders_t *orders, sim_order_t *order)
{
    id_map_drop(orders->map, MAP_SLOTS, order->cl_ord_id);
    *order            = (sim_order_t){.next_free = orders->free_head};
    orders->free_head = (uint32_t)(order - orders->rows);
    orders->count--;
}

static void learn(sim_orders_t *orders, const exec_report_t *report)
{
    sim_order_t *order = add(orders, report->cl_ord_id);
    if (order != NULL) {
        order->corr_hi       = report->corr_hi;
        order->corr_lo       = report->corr_lo;
        order->account_id    = report->account_id;
        order->strategy_id   = report->strategy_id;
        order->instrument_id = report->instrument_id;
        order->side          = report->side;
        order->acked         = 1;
    }
}

void sim_orders_report(sim_orders_t *orders, const exec_report_t *report)
{
    sim_order_t *order = sim_orders_find(orders, report->cl_ord_id);
    const bool   open  = report->ord_status == ORD_STATUS_NEW || report->ord_status == ORD_STATUS_PARTIALLY_FILLED;
    if (report->exec_type == EXEC_TYPE_REJECTED && report->reject_code == VENUE_REJECT_DUPLICATE) {
        return; /* speaks of the request, not of the order that has the id */
    }
    if (order == NULL) {
        if (open) {
            learn(orders, report);
        }
        return;
    }
    if (open) {
        order->acked = 1;
    } else if (report->ord_status != ORD_STATUS_NONE) {
        sim_orders_drop(orders, order);
        return;
    }
    switch (report->exec_type) {
    case EXEC_TYPE_CANCEL_REJECT: order->cancel_sent = 0; __attribute__((fallthrough));
    case EXEC_TYPE_NEW:
    case EXEC_TYPE_REPLACED:
    case EXEC_TYPE_REPLACE_REJECT:
        order->waiting -= order->waiting > 0;
        /* not open there any more, and what ended it is on its way to us or was lost with a connection */
        if (report->reject_code == VENUE_REJECT_UNKNOWN_ORDER && order->acked && order->waiting == 0) {
            sim_orders_drop(orders, order);
        }
        break;
    default: break;
    }
}
