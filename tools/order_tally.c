#include "tools/order_tally.h"

#include <assert.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct order {
    uint64_t id;
    uint64_t stamp; /* less = earlier on its level */
    int64_t  px;
    int64_t  qty;
    side_t   side;
} order_t;

typedef struct levels { /* of one side, best last */
    mbo_level_t *at;
    size_t       count, room;
} levels_t;

struct order_tally {
    void    *orders; /* tree of order_t by id */
    size_t   order_count[2];
    levels_t side[2];
    uint64_t stamp;
    side_t   touched_side;
    int64_t  touched[2]; /* prices of the last record, before and after */
};

static int by_id(const void *a, const void *b)
{
    const order_t *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

order_tally_t *order_tally_new(void)
{
    return calloc(1, sizeof(order_tally_t));
}

void order_tally_clear(order_tally_t *tally)
{
    tdestroy(tally->orders, free);
    tally->orders         = NULL;
    tally->order_count[0] = tally->order_count[1] = 0;
    tally->side[0].count = tally->side[1].count = 0;
}

void order_tally_free(order_tally_t *tally)
{
    if (tally != NULL) {
        order_tally_clear(tally);
        free(tally->side[0].at);
        free(tally->side[1].at);
        free(tally);
    }
}

/* ---- levels ------------------------------------------------------------------------------------------------------ */
static size_t index_of(side_t side)
{
    return side == SIDE_SELL;
}

/* Where the level of px is, or would be put. */
static size_t place(const levels_t *l, side_t side, int64_t px)
{
    size_t low = 0, high = l->count;
    while (low < high) {
        const size_t mid    = (low + high) / 2;
        const bool   behind = side == SIDE_BUY ? l->at[mid].px < px : l->at[mid].px > px;
        low                 = behind ? mid + 1 : low;
        high                = behind ? high : mid;
    }
    return low;
}

static mbo_level_t level_at(const levels_t *l, side_t side, int64_t px)
{
    const size_t i = place(l, side, px);
    return i < l->count && l->at[i].px == px ? l->at[i] : (mbo_level_t){0};
}

static bool levels_room(levels_t *l)
{
    if (l->count == l->room) {
        const size_t more = l->room ? 2 * l->room : 64;
        mbo_level_t *at   = realloc(l->at, more * sizeof *at);
        if (at == NULL) {
            return false;
        }
        l->at   = at;
        l->room = more;
    }
    return true;
}

static void level_add(levels_t *l, side_t side, int64_t px, int64_t qty)
{
    const size_t i = place(l, side, px);
    if (i == l->count || l->at[i].px != px) {
        memmove(&l->at[i + 1], &l->at[i], (l->count - i) * sizeof l->at[0]);
        l->at[i] = (mbo_level_t){.px = px};
        l->count++;
    }
    l->at[i].qty += qty;
    l->at[i].count++;
}

/* orders: 1 when the order goes with it. */
static void level_take(levels_t *l, side_t side, int64_t px, int64_t qty, uint32_t orders)
{
    const size_t i = place(l, side, px);
    assert(i < l->count && l->at[i].px == px);
    l->at[i].qty -= qty;
    l->at[i].count -= orders;
    if (l->at[i].count == 0) {
        memmove(&l->at[i], &l->at[i + 1], (l->count - i - 1) * sizeof l->at[0]);
        l->count--;
    }
}

/* ---- records ----------------------------------------------------------------------------------------------------- */
static order_t *order_find(const order_tally_t *tally, uint64_t id)
{
    const order_t key  = {.id = id};
    order_t     **node = tfind(&key, &tally->orders, by_id);
    return node != NULL ? *node : NULL;
}

static void order_gone(order_tally_t *tally, order_t *o)
{
    level_take(&tally->side[index_of(o->side)], o->side, o->px, o->qty, 1);
    tally->order_count[index_of(o->side)]--;
    tdelete(o, &tally->orders, by_id);
    free(o);
}

static err_t order_add(order_tally_t *tally, const mbo_entry_t *m)
{
    const side_t  side  = (side_t)m->side;
    levels_t     *level = &tally->side[index_of(side)];
    order_t      *o     = order_find(tally, m->order_id);
    const order_t put   = {.id = m->order_id, .stamp = tally->stamp + 1, .px = m->px, .qty = m->qty, .side = side};
    if (!levels_room(level)) {
        return err_set(ERR_LIMIT, "no memory for one more level");
    }
    if (o != NULL) { /* it stood: the new one takes its node, not its place */
        level_take(&tally->side[index_of(o->side)], o->side, o->px, o->qty, 1);
        tally->order_count[index_of(o->side)]--;
        *o = put;
    } else {
        o = malloc(sizeof *o);
        if (o != NULL) {
            *o = put;
        }
        if (o == NULL || tsearch(o, &tally->orders, by_id) == NULL) {
            free(o);
            return err_set(ERR_LIMIT, "no memory for one more order");
        }
    }
    tally->stamp++;
    tally->order_count[index_of(side)]++;
    level_add(level, side, put.px, put.qty);
    return ERR_OK;
}

static err_t order_cancel(order_tally_t *tally, const mbo_entry_t *m)
{
    order_t *o = order_find(tally, m->order_id);
    if (o == NULL) {
        return err_set(ERR_NOT_FOUND, "cancel of order %" PRIu64 ", which is not there", m->order_id);
    }
    if (m->qty > o->qty) {
        return err_set(ERR_RANGE, "cancel of %" PRId64 " of order %" PRIu64 ", which has %" PRId64, m->qty, m->order_id,
                       o->qty);
    }
    if (m->qty == o->qty) {
        order_gone(tally, o);
    } else {
        level_take(&tally->side[index_of(o->side)], o->side, o->px, m->qty, 0);
        o->qty -= m->qty;
    }
    return ERR_OK;
}

static err_t order_modify(order_tally_t *tally, const mbo_entry_t *m)
{
    order_t *o = order_find(tally, m->order_id);
    if (o == NULL) {
        return err_set(ERR_NOT_FOUND, "modify of order %" PRIu64 ", which is not there", m->order_id);
    }
    levels_t *level = &tally->side[index_of(o->side)];
    if (!levels_room(level)) {
        return err_set(ERR_LIMIT, "no memory for one more level");
    }
    level_take(level, o->side, o->px, o->qty, 1);
    level_add(level, o->side, m->px, m->qty);
    o->stamp = m->px == o->px && m->qty <= o->qty ? o->stamp : ++tally->stamp;
    o->px    = m->px;
    o->qty   = m->qty;
    return ERR_OK;
}

err_t order_tally_entry(order_tally_t *tally, const mbo_entry_t *m)
{
    const order_t *o    = order_find(tally, m->order_id);
    tally->touched_side = o != NULL ? o->side : m->side == SIDE_SELL ? SIDE_SELL : SIDE_BUY;
    tally->touched[0]   = o != NULL ? o->px : m->px;
    tally->touched[1]   = m->px;
    switch ((mbo_action_t)m->action) {
    case MBO_ADD: return order_add(tally, m);
    case MBO_CANCEL:
    case MBO_FILL: return order_cancel(tally, m);
    case MBO_MODIFY: return order_modify(tally, m);
    default: return ERR_OK;
    }
}

err_t order_tally_record(order_tally_t *tally, const dbn_mbo_t *m)
{
    const mbo_entry_t entry = {.order_id = m->order_id,
                               .px       = m->px,
                               .qty      = m->qty,
                               .action   = m->action == 'A'   ? MBO_ADD
                                           : m->action == 'C' ? MBO_CANCEL
                                           : m->action == 'M' ? MBO_MODIFY
                                                              : MBO_NONE,
                               .side     = m->side == 'A' ? SIDE_SELL : SIDE_BUY};
    if (m->action == 'R') {
        order_tally_clear(tally);
    }
    return order_tally_entry(tally, &entry);
}

/* ---- against the book -------------------------------------------------------------------------------------------- */
static bool level_same(const char *what, side_t side, const mbo_level_t *ours, const mbo_level_t *book, char *text)
{
    if (ours->px == book->px && ours->qty == book->qty && ours->count == book->count) {
        return true;
    }
    (void)snprintf(
        text, ORDER_TALLY_TEXT,
        "%s %s: the book has %" PRId64 " of %u orders at %" PRId64 ", the tally %" PRId64 " of %u at %" PRId64,
        side == SIDE_BUY ? "bid" : "ask", what, book->qty, book->count, book->px, ours->qty, ours->count, ours->px);
    return false;
}

static bool counts_same(const order_tally_t *tally, const mbo_t *book, side_t side, char *text)
{
    const size_t i = index_of(side);
    if (tally->side[i].count == mbo_level_count(book, side) && tally->order_count[i] == mbo_order_count(book, side)) {
        return true;
    }
    (void)snprintf(text, ORDER_TALLY_TEXT, "%s: the book has %u levels, %u orders, the tally %zu levels, %zu orders",
                   side == SIDE_BUY ? "bids" : "asks", mbo_level_count(book, side), mbo_order_count(book, side),
                   tally->side[i].count, tally->order_count[i]);
    return false;
}

bool order_tally_agrees(const order_tally_t *tally, const mbo_t *book, char text[ORDER_TALLY_TEXT])
{
    for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
        const levels_t   *l    = &tally->side[index_of(side)];
        const mbo_level_t best = l->count ? l->at[l->count - 1] : (mbo_level_t){0};
        mbo_level_t       theirs;
        (void)mbo_level(book, side, 0, &theirs);
        if (!counts_same(tally, book, side, text) || !level_same("best level", side, &best, &theirs, text)) {
            return false;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        const side_t      side = tally->touched_side;
        const mbo_level_t ours = level_at(&tally->side[index_of(side)], side, tally->touched[i]);
        mbo_level_t       theirs;
        (void)mbo_level_at(book, side, tally->touched[i], &theirs);
        if (!level_same("level", side, &ours, &theirs, text)) {
            return false;
        }
    }
    return true;
}

typedef struct list {
    order_t *at;
    size_t   count;
} list_t;

static void collect(const void *node, VISIT which, void *ctx)
{
    list_t *list = ctx;
    if (which == postorder || which == leaf) {
        list->at[list->count++] = **(order_t *const *)node;
    }
}

/* Side, then best price first, then time. */
static int by_priority(const void *a, const void *b)
{
    const order_t *x = a, *y = b;
    if (x->side != y->side) {
        return x->side < y->side ? -1 : 1;
    }
    if (x->px != y->px) {
        return (x->px > y->px) == (x->side == SIDE_BUY) ? -1 : 1;
    }
    return (x->stamp > y->stamp) - (x->stamp < y->stamp);
}

/* One level: its orders[0..count) in priority, and the book's level and queue at that place. */
static bool queue_same(const mbo_t *book, const mbo_level_t *theirs, const order_t *orders, size_t count,
                       mbo_order_t *queue, char *text)
{
    const side_t side = orders[0].side;
    mbo_level_t  sum  = {.px = orders[0].px, .count = (uint32_t)count};
    for (size_t i = 0; i < count; i++) {
        sum.qty += orders[i].qty;
    }
    if (!level_same("level, as the sum of its orders,", side, &sum, theirs, text)) {
        return false;
    }
    const uint32_t have = mbo_queue(book, side, sum.px, queue, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        if (i >= have || queue[i].id != orders[i].id || queue[i].qty != orders[i].qty) {
            (void)snprintf(text, ORDER_TALLY_TEXT,
                           "%s at %" PRId64 ": order %zu of the queue is %" PRIu64 " with %" PRId64
                           " in the book, %" PRIu64 " with %" PRId64 " in the tally",
                           side == SIDE_BUY ? "bid" : "ask", sum.px, i + 1, i < have ? queue[i].id : 0,
                           i < have ? queue[i].qty : 0, orders[i].id, orders[i].qty);
            return false;
        }
    }
    return true;
}

/* Both sides from the best level on, as the book walks them. */
static bool queues_same(const mbo_t *book, const list_t *list, mbo_order_t *queue, char *text)
{
    mbo_level_t theirs = {0};
    for (size_t from = 0, to; from < list->count; from = to) {
        const order_t *first = &list->at[from];
        (void)(from && first->side == first[-1].side ? mbo_worse(book, first->side, &theirs)
                                                     : mbo_level(book, first->side, 0, &theirs));
        to = from + 1;
        while (to < list->count && list->at[to].side == first->side && list->at[to].px == first->px) {
            to++;
        }
        if (!queue_same(book, &theirs, first, to - from, queue, text)) {
            return false;
        }
    }
    return true;
}

bool order_tally_equal(const order_tally_t *tally, const mbo_t *book, char text[ORDER_TALLY_TEXT])
{
    if (!counts_same(tally, book, SIDE_BUY, text) || !counts_same(tally, book, SIDE_SELL, text)) {
        return false;
    }
    for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
        const levels_t *l = &tally->side[index_of(side)];
        for (size_t i = 0; i < l->count; i++) {
            mbo_level_t theirs;
            (void)mbo_level_at(book, side, l->at[i].px, &theirs);
            if (!level_same("level", side, &l->at[i], &theirs, text)) {
                return false;
            }
        }
    }
    const size_t orders = tally->order_count[0] + tally->order_count[1];
    list_t       list   = {.at = malloc((orders + 1) * sizeof *list.at)};
    mbo_order_t *queue  = malloc((orders + 1) * sizeof *queue);
    bool         same   = list.at != NULL && queue != NULL;
    if (same) {
        twalk_r(tally->orders, collect, &list);
        assert(list.count == orders);
        qsort(list.at, list.count, sizeof *list.at, by_priority);
        same = queues_same(book, &list, queue, text);
    } else {
        (void)snprintf(text, ORDER_TALLY_TEXT, "no memory to list %zu orders", orders);
    }
    free(list.at);
    free(queue);
    return same;
}
