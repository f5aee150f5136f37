/* order_private: the arena of the order table and what its files call of each other.
 *
 *   header | rows | waits, answers, one a row | sides, two an instrument | index of ClOrdIDs | fills, a ring | index of exec ids
 *
 *   order.c         arena, indexes, what an order says of itself, requests
 *   order_lists.c   by age, by price, by silence; walks
 *   order_report.c  what the venue says */
#pragma once

#include <assert.h>
#include <string.h>

#include "core/order/order.h"
#include "core/types/hash.h"

#define ORDER_TABLE_MAGIC 0x3330524544524f48ULL /* "HORDER03" */
#define NOT_LISTED INT64_MIN

typedef struct order_list {
    uint32_t first;
    uint32_t last;
} order_list_t;

typedef struct order_side { /* of an instrument and side */
    uint32_t root;
    uint32_t first; /* leftmost: best price, oldest */
} order_side_t;

typedef struct order_wait { /* of a row: its place among those without an answer, longest silence first */
    uint32_t prev;
    uint32_t next;
    int64_t  since_ns; /* NOT_LISTED: it waits for nothing, or was told as overdue */
} order_wait_t;

typedef struct order_fill { /* one execution, booked */
    uint64_t exec_id_hi;
    uint64_t exec_id_lo;
    uint64_t cl_ord_id; /* of the order whose exec_qty it is in; 0 = booked beside any order */
    int64_t  qty;       /* signed */
    int64_t  px;
    int64_t  fee;
    uint32_t account_id;
    uint32_t strategy_id;
    uint32_t instrument_id;
    uint16_t busted;
    uint16_t position_effect;
} order_fill_t;

_Static_assert(sizeof(order_fill_t) == 64, "one line, no padding");

#define ORDER_ANSWERS 6u

typedef struct order_answers {      /* of a row: which answers to its requests were heard */
    int64_t  force_ns;              /* the venue's time of the newest word on price and quantity; 0 = it gave none */
    uint32_t newest[ORDER_ANSWERS]; /* hashes of exec ids, newest first; 0 = none */
} order_answers_t;

_Static_assert(sizeof(order_answers_t) == 32, "no padding");

struct order_table {
    uint64_t     magic;
    order_cfg_t  cfg;
    uint32_t     rows_used;              /* rows ever opened: rows 0 .. rows_used - 1 are in a list */
    uint32_t     open_count;             /* in `open` */
    order_list_t open;                   /* may trade or have a gap: newest first */
    order_list_t closed;                 /* longest closed first */
    order_list_t waiting;                /* without an answer: longest silence first */
    uint32_t     walks[ORDER_WALKS_MAX]; /* rows that they give next */
    int64_t      mono_ns;                /* newest time that was told */
    uint64_t     fill_count;             /* ever booked: the ring's free-running head */
    uint32_t     row_mask;               /* cells of the indexes, less one */
    uint32_t     fill_mask;
    uint64_t     rows_off;
    uint64_t     waits_off;
    uint64_t     answers_off;
    uint64_t     sides_off;
    uint64_t     row_index_off;
    uint64_t     fills_off;
    uint64_t     fill_index_off;
    uint64_t     size_bytes;
};

_Static_assert(sizeof(struct order_table) == 184, "no padding");

static inline void *at_off(const order_table_t *t, uint64_t off)
{
    /* The table is either ours to write or const to the caller; both go through here, so constness ends here. */
    return (void *)((uintptr_t)t + off);
}

static inline order_t *row_at(const order_table_t *t, uint32_t row)
{
    assert(row < t->rows_used);
    return (order_t *)at_off(t, t->rows_off) + row;
}

static inline order_wait_t *wait_at(const order_table_t *t, uint32_t row)
{
    return (order_wait_t *)at_off(t, t->waits_off) + row;
}

static inline order_answers_t *answers_at(const order_table_t *t, uint32_t row)
{
    return (order_answers_t *)at_off(t, t->answers_off) + row;
}

static inline order_side_t *side_head(const order_table_t *t, uint32_t instrument_id, uint32_t side)
{
    assert(instrument_id <= t->cfg.instruments_max && (side == SIDE_BUY || side == SIDE_SELL));
    return (order_side_t *)at_off(t, t->sides_off) + instrument_id * 2 + (side - SIDE_BUY);
}

static inline order_fill_t *fill_at(const order_table_t *t, uint32_t slot)
{
    return (order_fill_t *)at_off(t, t->fills_off) + slot;
}

static inline bool order_part_counts(const order_t *o)
{
    return o->closed_as == 0 || order_gap(o) > 0;
}

/* Quantity up to which the order can still fill, as far as anyone knows. */
static inline int64_t order_qty_reach(const order_t *o)
{
    return o->replaces ? max_i64(o->order_qty, o->pend_qty) : o->order_qty;
}

static inline void order_envelope_drop(order_t *o, uint32_t replaces_left)
{
    o->replaces = replaces_left;
    if (replaces_left == 0) {
        o->pend_qty = o->pend_px_lo = o->pend_px_hi = 0;
    }
}

/* ---- order.c ----------------------------------------------------------------------------------------------------- */
typedef struct order_seen { /* where an order was listed before a change */
    bool    open;
    bool    counts;
    int64_t eager_px;
} order_seen_t;

/* order_look before a change, order_settle after it: close what is filled, show the status, move the row between lists.
 * heard: the venue said something. order_close: nothing changes when it is closed. */
order_seen_t  order_look(const order_t *o);
void          order_settle(order_table_t *t, uint32_t row, order_seen_t was, bool heard);
void          order_close(order_t *o, ord_status_t as);
order_fill_t *order_fill_find(const order_table_t *t, uint32_t instrument_id, uint64_t hi, uint64_t lo);
void          order_fill_add(order_table_t *t, const order_fill_t *fill);

/* ---- order_lists.c ----------------------------------------------------------------------------------------------- */
void order_age_unlink(order_table_t *t, order_list_t *list, order_t *o);
void order_age_leave_open(order_table_t *t, uint32_t row); /* and walks that stand there go on */
void order_age_push_front(order_table_t *t, order_list_t *list, uint32_t row);
void order_age_push_back(order_table_t *t, order_list_t *list, uint32_t row);
void order_side_link(order_table_t *t, uint32_t row);
void order_side_unlink(order_table_t *t, uint32_t row);
void order_wait_settle(order_table_t *t, uint32_t row, bool anew); /* after any change; anew: silence begins now */
