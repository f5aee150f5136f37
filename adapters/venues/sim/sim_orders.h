/* sim_orders: what the adapter knows of orders at the venue: those that it sent and those that reports spoke of, until a
 * report says that they are gone. From it everything is cancelled when the engine is silent, and it tells which orders are
 * in doubt when the connection is lost.
 *
 * Row      by the ClOrdID of the NEW. waiting: requests handed over or about to be, and not yet answered.
 * Limits   SIM_ORDERS_MAX rows, several times what the venue lets stand; full: no further NEW is sent.
 * Owner    the adapter's thread; memory is allocated once by sim_orders_new. */
#pragma once

#include <stdbool.h>

#include "core/match/id_map.h"
#include "core/types/msg.h"

#define SIM_ORDERS_MAX 16384u

typedef struct sim_order {
    uint64_t cl_ord_id; /* 0 = free row */
    uint64_t corr_hi;
    uint64_t corr_lo;
    uint32_t tenant_id;
    uint32_t account_id;
    uint32_t strategy_id;
    uint32_t instrument_id; /* the engine's */
    uint32_t waiting;
    uint32_t next_free;
    uint8_t  side;
    uint8_t  acked;       /* the venue has shown it */
    uint8_t  cancel_sent; /* by us, in silence      */
    uint8_t  lost;        /* waiting when the connection went: TIMEOUT is to be told */
    uint32_t reserved;
} sim_order_t;

typedef struct sim_orders {
    uint32_t    count;
    uint32_t    free_head;
    sim_order_t rows[SIM_ORDERS_MAX];
    id_slot_t   map[4 * SIM_ORDERS_MAX];
} sim_orders_t;

/* sim_orders_new: an empty table; NULL = no memory. */
sim_orders_t *sim_orders_new(void);

/* sim_orders_find: NULL = not there. sim_orders_sent: a request is about to go: its order's row, made if need be; NULL =
 * full. sim_orders_drop: it is gone. O(1). */
sim_order_t *sim_orders_find(sim_orders_t *orders, uint64_t cl_ord_id);
sim_order_t *sim_orders_sent(sim_orders_t *orders, const order_req_t *req);
void         sim_orders_drop(sim_orders_t *orders, sim_order_t *order);

/* sim_orders_report: what a report of the venue says of the table; an open order that was not known gets a row. */
void sim_orders_report(sim_orders_t *orders, const exec_report_t *report);
