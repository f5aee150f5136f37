/* held_world: engine_world with lane 1 open, a book, and words for orders with terms: what is asked, what leaves, what is told.
 * UTC is far from 1970. Orders are named by their number: w->id after hold(). */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/engine/engine_private.h"
#include "core/risk/risk_private.h"
#include "tests/lib/engine_world.h"

#define MS NS_PER_MS
#define SOON (3600 * NS_PER_S)

static inline int setup(void **state)
{
    world_t *w = calloc(1, sizeof *w);
    world_open(w, 3, 1);
    w->utc_ahead      = 1000 * NS_PER_DAY;
    const lane_t lane = world_lane(w, 1, LANE_OPEN, LANE_KEEP);
    assert_int_equal(world_apply_body(w, MSG_LANE, &lane), ERR_OK);
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    *state = w;
    return 0;
}

static inline int teardown(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

static inline uint64_t id_of(const world_t *w, uint64_t seq)
{
    return cl_ord_id_make(engine_epoch(w->engine), WORLD_ORIGIN, seq);
}

/* A NEW; fields that are 0 get those of a GTC limit order of lane 1. Its number is w->id then. */
static inline uint16_t hold(world_t *w, order_terms_req_t t)
{
    t.cl_ord_id       = id_of(w, ++w->id);
    t.tenant_id       = 1;
    t.account_id      = 1;
    t.strategy_id     = 1;
    t.instrument_id   = 1;
    t.created_mono_ns = w->now;
    t.action          = ORDER_ACTION_NEW;
    t.ord_type        = t.ord_type ? t.ord_type : ORD_TYPE_LIMIT;
    t.tif             = t.tif ? t.tif : TIF_GTC;
    t.list_id         = t.list_id == 0 ? 0 : t.list_id == UINT64_MAX ? t.cl_ord_id : id_of(w, t.list_id);
    assert_int_equal(world_apply_body(w, MSG_ORDER_TERMS_REQUEST, &t), ERR_OK);
    const verdict_t *v = world_out_first(w, MSG_VERDICT);
    assert_non_null(v);
    assert_int_equal(v->cl_ord_id, t.cl_ord_id);
    return v->code;
}

static inline uint16_t change(world_t *w, order_action_t action, uint64_t seq, int64_t px, int64_t qty)
{
    const order_req_t req = {.cl_ord_id       = id_of(w, ++w->id),
                             .orig_cl_ord_id  = id_of(w, seq),
                             .tenant_id       = 1,
                             .account_id      = 1,
                             .strategy_id     = 1,
                             .instrument_id   = 1,
                             .px              = px,
                             .qty             = qty,
                             .created_mono_ns = w->now,
                             .action          = (uint8_t)action,
                             .side            = SIDE_BUY,
                             .ord_type        = ORD_TYPE_LIMIT,
                             .tif             = TIF_GTC};
    assert_int_equal(world_apply_body(w, MSG_ORDER_REQUEST, &req), ERR_OK);
    return ((const verdict_t *)world_out_first(w, MSG_VERDICT))->code;
}

static inline void trade(world_t *w, int64_t px)
{
    const trade_t t = {
        .instrument_id = 1, .trade_id = ++w->exec, .px = px, .qty = 5, .ts_recv_ns = w->now + w->utc_ahead};
    assert_int_equal(world_apply_body(w, MSG_TRADE, &t), ERR_OK);
}

static inline const held_t *row_of(const world_t *w, uint64_t seq)
{
    const uint32_t row = held_find(engine_held(w->engine), id_of(w, seq));
    assert_int_not_equal(row, HELD_NONE);
    return held_peek(engine_held(w->engine), row);
}

static inline held_record_t record_of(const world_t *w, uint64_t seq)
{
    held_record_t r;
    engine_held_record(w->engine, held_find(engine_held(w->engine), id_of(w, seq)), &r);
    return r;
}

/* The n-th order or cancel that left with the newest input. */
static inline const order_req_t *out(const world_t *w, uint32_t n)
{
    return world_out(w, MSG_ORDER_REQUEST, n);
}

/* What the venue says of any order of ours. */
static inline void venue(world_t *w, uint64_t id, exec_type_t type, int64_t px, int64_t qty)
{
    exec_report_t r = world_report(w, 0, type);
    r.cl_ord_id     = id;
    r.order_id_lo   = id;
    if (type == EXEC_TYPE_TRADE) {
        r.side     = order_at(engine_orders(w->engine), order_find(engine_orders(w->engine), id))->side;
        r.last_px  = px;
        r.last_qty = qty;
    } else if (type == EXEC_TYPE_REPLACED) {
        r.px        = px;
        r.order_qty = qty;
    }
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &r), ERR_OK);
}

static inline bool told(const world_t *w, uint64_t seq, exec_type_t type)
{
    for (uint32_t n = 0;; n++) {
        const exec_report_t *r = world_out(w, MSG_EXEC_REPORT, n);
        if (!r) {
            return false;
        }
        if (r->cl_ord_id == id_of(w, seq) && r->exec_type == (uint8_t)type && (r->flags & EXEC_HELD)) {
            return true;
        }
    }
}

static inline bool alarmed(const world_t *w, alarm_kind_t kind)
{
    for (uint32_t n = 0;; n++) {
        const alarm_t *a = world_out(w, MSG_ALARM, n);
        if (!a) {
            return false;
        }
        if (a->kind == (uint16_t)kind) {
            return true;
        }
    }
}

/* The mode of self-trade prevention. */
static inline void stp(world_t *w, risk_stp_mode_t mode)
{
    w->engine->s->act.stp_mode    = mode;
    w->engine->risk->cfg.stp_mode = mode;
}
