/* The order table. Checked here:
 *   - refusals of new and join; fresh table; rows recycled longest closed first, open ones never
 *   - each state and each way between states; nothing opens again
 *   - fills: once, in any state, bust, exact px_qty, the ring of executions forgets oldest first
 *   - lists: side lists sorted by eager price then age, open list newest first, index finds all and only what is there
 *   - random histories against a model that keeps every order and every execution for ever */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/order/order.h"

typedef struct fix {
    void          *mem;
    size_t         bytes;
    order_table_t *t;
    instrument_t   ins;
    order_effect_t effect;
} fix_t;

static void fix_open(fix_t *f, uint32_t orders_max, uint32_t fills_max)
{
    const order_cfg_t cfg = {.orders_max = orders_max, .fills_max = fills_max, .instruments_max = 3};
    memset(f, 0, sizeof *f);
    f->bytes = order_footprint(&cfg);
    f->mem   = aligned_alloc(64, f->bytes);
    memset(f->mem, 0xa5, f->bytes);
    assert_non_null(order_new(f->mem, &cfg));
    f->t = order_join(f->mem);
    assert_non_null(f->t);
}

static uint32_t open_at(fix_t *f, uint64_t id, side_t side, int64_t qty, int64_t px, uint32_t instrument_id)
{
    return order_open(f->t,
                      &(order_req_t){.cl_ord_id     = id,
                                     .tenant_id     = 1,
                                     .account_id    = 1,
                                     .strategy_id   = 2,
                                     .instrument_id = instrument_id,
                                     .side          = (uint8_t)side,
                                     .ord_type      = ORD_TYPE_LIMIT,
                                     .tif           = TIF_GTC,
                                     .qty           = qty,
                                     .px            = px},
                      px);
}

static uint32_t open_buy(fix_t *f, uint64_t id)
{
    return open_at(f, id, SIDE_BUY, 100, 1000, 1);
}

static const order_t *row(const fix_t *f, uint64_t id)
{
    const uint32_t at = order_find(f->t, id);
    assert_int_not_equal(at, ORDER_NONE);
    return order_at(f->t, at);
}

static void apply(fix_t *f, exec_report_t rep)
{
    rep.account_id    = rep.account_id ? rep.account_id : 1;
    rep.instrument_id = rep.instrument_id ? rep.instrument_id : 1;
    order_apply_exec(f->t, &rep, &f->ins, &f->effect);
}

static void event(fix_t *f, uint64_t id, exec_type_t type)
{
    apply(f, (exec_report_t){.cl_ord_id = id, .exec_type = (uint8_t)type, .cum_qty = -1});
}

static void status(fix_t *f, uint64_t id, ord_status_t is, int64_t cum)
{
    apply(f, (exec_report_t){
                 .cl_ord_id = id, .exec_type = EXEC_TYPE_ORDER_STATUS, .ord_status = (uint8_t)is, .cum_qty = cum});
}

static void fill(fix_t *f, uint64_t id, uint64_t exec, int64_t qty, int64_t px, int64_t cum)
{
    apply(f, (exec_report_t){.cl_ord_id  = id,
                             .exec_id_lo = exec,
                             .exec_type  = EXEC_TYPE_TRADE,
                             .side       = SIDE_BUY,
                             .last_qty   = qty,
                             .last_px    = px,
                             .cum_qty    = cum,
                             .fee        = 7});
}

static uint32_t alarm_bits(alarm_kind_t a, alarm_kind_t b)
{
    return (1U << a | 1U << b) & ~1U;
}

#define assert_alarms(f, a, b) assert_int_equal((f)->effect.alarms, alarm_bits(a, b))

static void test_order_refuses_bad_memory_and_cfg(void **state)
{
    (void)state;
    assert_int_equal(order_footprint(&(order_cfg_t){.orders_max = 0, .fills_max = 1, .instruments_max = 1}), 0);
    assert_non_null(strstr(err_msg(), "orders_max 0"));
    assert_int_equal(
        order_footprint(&(order_cfg_t){.orders_max = 1, .fills_max = ORDER_ROWS_MAX + 1, .instruments_max = 1}), 0);
    assert_int_equal(order_footprint(&(order_cfg_t){.orders_max = 1, .fills_max = 1}), 0);
    static _Alignas(64) char nothing[512];
    assert_null(order_new(nothing, &(order_cfg_t){0}));
    assert_null(order_join(nothing));
    assert_null(order_join(nothing + 8));
}

static void test_order_life(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 8, 8);
    assert_int_equal(order_find(f.t, 1), ORDER_NONE);
    open_buy(&f, 1);
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_PENDING_NEW);
    assert_int_equal(order_leaves(row(&f, 1)), 100);
    event(&f, 1, EXEC_TYPE_NEW);
    assert_int_equal(f.effect.status_before, ORD_STATUS_PENDING_NEW);
    assert_int_equal(f.effect.status_after, ORD_STATUS_NEW);
    fill(&f, 1, 1, 40, 990, 40);
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_PARTIALLY_FILLED);
    assert_int_equal(f.effect.qty, 40);
    assert_int_equal(f.effect.fee, 7);
    assert_int_equal(f.effect.before.qty, 100);
    assert_int_equal(f.effect.after.qty, 60);
    order_cancel_sent(f.t, order_find(f.t, 1), (now_t){.mono_ns = 7});
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_PENDING_CANCEL);
    event(&f, 1, EXEC_TYPE_CANCEL_REJECT);
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_PARTIALLY_FILLED);
    order_cancel_sent(f.t, order_find(f.t, 1), (now_t){.mono_ns = 7});
    event(&f, 1, EXEC_TYPE_TIMEOUT);
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_UNKNOWN);
    assert_int_equal(f.effect.after.qty, 60);
    status(&f, 1, ORD_STATUS_PARTIALLY_FILLED, 40); /* settles the cancel too */
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_PARTIALLY_FILLED);
    assert_int_equal(f.effect.alarms, 0);
    fill(&f, 1, 2, 60, 1000, 100);
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_FILLED);
    assert_int_equal(f.effect.after.counts, 0);
    assert_true(row(&f, 1)->px_qty == 40 * 990 + 60 * 1000);
    assert_int_equal(order_open_count(f.t), 0);
    free(f.mem);
}

/* Whatever comes after the end: the order stays ended, and only fills book. */
static void test_order_never_opens_again(void **state)
{
    (void)state;
    static const struct {
        exec_type_t  ends;
        ord_status_t as;
    } ends[]                        = {{EXEC_TYPE_CANCELED, ORD_STATUS_CANCELED},
                                       {EXEC_TYPE_REJECTED, ORD_STATUS_REJECTED},
                                       {EXEC_TYPE_EXPIRED, ORD_STATUS_EXPIRED},
                                       {EXEC_TYPE_UNSENT, ORD_STATUS_REJECTED},
                                       {EXEC_TYPE_TRADE, ORD_STATUS_FILLED}};
    static const exec_type_t late[] = {EXEC_TYPE_NEW,           EXEC_TYPE_REPLACED, EXEC_TYPE_REPLACE_REJECT,
                                       EXEC_TYPE_CANCEL_REJECT, EXEC_TYPE_TIMEOUT,  EXEC_TYPE_CANCELED,
                                       EXEC_TYPE_EXPIRED,       EXEC_TYPE_REJECTED};
    for (size_t i = 0; i < 5; i++) {
        fix_t f;
        fix_open(&f, 4, 4);
        open_buy(&f, 1);
        if (ends[i].ends == EXEC_TYPE_TRADE) {
            fill(&f, 1, 1, 100, 1000, -1);
        } else {
            event(&f, 1, ends[i].ends);
        }
        for (size_t k = 0; k < sizeof late / sizeof late[0]; k++) {
            event(&f, 1, late[k]);
            assert_int_equal(row(&f, 1)->ord_status, ends[i].as);
            assert_int_equal(f.effect.alarms, 0);
            assert_int_equal(f.effect.booked, 0);
        }
        status(&f, 1, ORD_STATUS_NEW, 0);
        assert_int_equal(row(&f, 1)->ord_status, ends[i].as);
        fill(&f, 1, 9, 5, 1000, -1);
        assert_int_equal(f.effect.booked, 1);
        assert_alarms(&f, ends[i].as == ORD_STATUS_FILLED ? ALARM_OVERFILL : ALARM_FILL_AFTER_DONE, ALARM_NONE);
        assert_int_equal(row(&f, 1)->ord_status, ends[i].as);
        assert_int_equal(f.effect.after.counts, 0);
        free(f.mem);
    }
}

static void test_order_replaces_count_at_the_worst_until_the_last_is_answered(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 4, 4);
    const uint32_t at = open_buy(&f, 1);
    order_part_t   part;
    order_part_t   said;
    order_part_replaced(row(&f, 1), 1010, 1010, 200, &said);
    order_replace_sent(f.t, at, 1010, 1010, 200);
    order_part(row(&f, 1), &part);
    assert_memory_equal(&part, &said, sizeof part);
    assert_int_equal(part.qty, 200);
    assert_int_equal(part.px_lo, 1000);
    assert_int_equal(part.px_hi, 1010);
    order_replace_sent(f.t, at, 980, 980, 50); /* a second one before the answer to the first */
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_PENDING_REPLACE);
    fill(&f, 1, 1, 100, 1010, -1); /* may have been at the new size: not complete yet, and not worse than the limit */
    assert_int_equal(f.effect.alarms, 0);
    assert_int_equal(f.effect.after.qty, 100);
    assert_true(order_is_open(row(&f, 1)));
    apply(&f, (exec_report_t){
                  .cl_ord_id = 1, .exec_type = EXEC_TYPE_REPLACED, .order_qty = 200, .px = 1010, .cum_qty = -1});
    assert_int_equal(f.effect.after.qty, 100);
    assert_int_equal(row(&f, 1)->px, 1010);
    event(&f, 1, EXEC_TYPE_REPLACE_REJECT);
    order_part(row(&f, 1), &part);
    assert_int_equal(part.px_lo, 1010);
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_PARTIALLY_FILLED);
    order_replace_sent(f.t, at, 1010, 1010, 100);
    event(&f, 1, EXEC_TYPE_REPLACED); /* the venue does not say what: what we asked for is below what is filled */
    assert_int_equal(order_leaves(row(&f, 1)), 100);
    event(&f, 1, EXEC_TYPE_CANCELED);
    assert_alarms(&f, ALARM_UNSOLICITED_CANCEL, ALARM_NONE);
    free(f.mem);
}

static void test_order_gap_counts_until_the_fills_came(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 1, 8);
    open_buy(&f, 1);
    fill(&f, 1, 1, 40, 1000, 40);
    fill(&f, 1, 3, 20, 1000, 80);
    assert_alarms(&f, ALARM_FILL_GAP, ALARM_QUERY_SENT);
    assert_int_equal(order_gap(row(&f, 1)), 20);
    assert_int_equal(order_leaves(row(&f, 1)), 20);
    assert_int_equal(f.effect.after.qty, 40);
    apply(&f, (exec_report_t){.cl_ord_id = 1, .exec_type = EXEC_TYPE_EXPIRED, .cum_qty = 80});
    assert_int_equal(f.effect.alarms, 0);
    assert_int_equal(f.effect.after.qty, 20); /* the rest is dead, the gap is not */
    assert_int_equal(f.effect.after.counts, 1);
    assert_false(order_room(f.t));
    fill(&f, 1, 2, 20, 1000, 60);
    assert_int_equal(f.effect.alarms, 0);
    assert_int_equal(f.effect.after.counts, 0);
    assert_int_equal(row(&f, 1)->cum_qty, 80);
    assert_true(order_room(f.t));
    status(&f, 1, ORD_STATUS_CANCELED, 70);
    assert_alarms(&f, ALARM_CUM_BACKWARDS, ALARM_NONE);
    status(&f, 1, ORD_STATUS_CANCELED, 90); /* a gap shows after the end: the row is held again */
    assert_false(order_room(f.t));
    status(&f, 1, ORD_STATUS_CANCELED, 80); /* and the venue takes it back */
    assert_true(order_room(f.t));
    free(f.mem);
}

static void test_order_not_found_twice_is_dead_only_if_never_seen(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 4, 4);
    open_buy(&f, 1);
    event(&f, 1, EXEC_TYPE_TIMEOUT);
    status(&f, 1, ORD_STATUS_NONE, -1);
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_UNKNOWN);
    status(&f, 1, ORD_STATUS_NONE, -1);
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_REJECTED);
    open_buy(&f, 2);
    event(&f, 2, EXEC_TYPE_NEW);
    event(&f, 2, EXEC_TYPE_TIMEOUT);
    status(&f, 2, ORD_STATUS_NONE, -1);
    status(&f, 2, ORD_STATUS_NONE, -1);
    assert_int_equal(row(&f, 2)->ord_status, ORD_STATUS_UNKNOWN);
    free(f.mem);
}

static void test_order_fills_of_others(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 4, 16);
    open_buy(&f, 1);
    fill(&f, 99, 1, 10, 1000, -1);
    assert_int_equal(f.effect.row, ORDER_NONE);
    assert_alarms(&f, ALARM_UNKNOWN_ORDER_FILL, ALARM_NONE);
    assert_int_equal(f.effect.qty, 10);
    apply(&f, (exec_report_t){.cl_ord_id  = 1,
                              .account_id = 2,
                              .exec_id_lo = 2,
                              .exec_type  = EXEC_TYPE_TRADE,
                              .side       = SIDE_BUY,
                              .last_qty   = 1,
                              .last_px    = 5,
                              .cum_qty    = -1});
    assert_alarms(&f, ALARM_UNKNOWN_ORDER_FILL, ALARM_NONE); /* our id, another account */
    assert_int_equal(f.effect.account_id, 2);
    assert_int_equal(row(&f, 1)->cum_qty, 0);
    apply(&f, (exec_report_t){.exec_id_lo    = 3,
                              .exec_type     = EXEC_TYPE_TRADE,
                              .instrument_id = 4,
                              .side          = SIDE_BUY,
                              .last_qty      = 1,
                              .last_px       = 5,
                              .cum_qty       = -1});
    assert_alarms(&f, ALARM_BAD_FILL, ALARM_NONE); /* no such instrument */
    apply(&f,
          (exec_report_t){.exec_id_lo = 3, .exec_type = EXEC_TYPE_TRADE, .last_qty = 1, .last_px = 5, .cum_qty = -1});
    assert_alarms(&f, ALARM_BAD_FILL, ALARM_NONE); /* no side */
    order_apply_exec(f.t,
                     &(exec_report_t){.cl_ord_id  = 1,
                                      .exec_id_lo = 3,
                                      .exec_type  = EXEC_TYPE_TRADE,
                                      .side       = SIDE_BUY,
                                      .last_qty   = 1,
                                      .last_px    = 5,
                                      .cum_qty    = -1},
                     NULL, &f.effect);
    assert_alarms(&f, ALARM_BAD_FILL, ALARM_NONE); /* nobody knows the instrument */
    fill(&f, 1, 0, 1, 1000, -1);
    assert_alarms(&f, ALARM_BAD_FILL, ALARM_NONE); /* no exec id */
    fill(&f, 1, 4, INT64_MAX, 1000, -1);
    assert_alarms(&f, ALARM_OVERFILL, ALARM_NONE);
    fill(&f, 1, 5, 1, 1000, -1);
    assert_alarms(&f, ALARM_BAD_FILL, ALARM_NONE); /* the sum leaves 63 bits */
    event(&f, 77, EXEC_TYPE_NEW);
    assert_alarms(&f, ALARM_ALIEN_ORDER, ALARM_ACCOUNT_UNRECONCILED);
    event(&f, 77, EXEC_TYPE_CANCELED);
    assert_alarms(&f, ALARM_ALIEN_ORDER, ALARM_NONE);
    event(&f, 1, (exec_type_t)'z');
    assert_alarms(&f, ALARM_UNKNOWN_EXEC, ALARM_NONE);
    free(f.mem);
}

static void test_order_bust_gives_back_fill_and_fee_once(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 4, 2);
    open_buy(&f, 1);
    fill(&f, 1, 1, 40, 990, -1);
    const exec_report_t bust = {.cl_ord_id = 1, .exec_id_lo = 1, .exec_type = EXEC_TYPE_TRADE_CANCEL, .cum_qty = -1};
    apply(&f, bust);
    assert_int_equal(f.effect.qty, -40);
    assert_int_equal(f.effect.px, 990);
    assert_int_equal(f.effect.fee, -7);
    assert_int_equal(f.effect.after.qty, 60);
    assert_true(row(&f, 1)->px_qty == 0);
    apply(&f, bust);
    assert_int_equal(f.effect.duplicate, 1);
    assert_int_equal(f.effect.booked, 0);
    fill(&f, 1, 1, 40, 990, -1); /* the busted execution again: still booked once */
    assert_int_equal(f.effect.duplicate, 1);
    fill(&f, 1, 2, 10, 990, -1);
    fill(&f, 1, 3, 10, 990, -1); /* the ring holds two: execution 1 is forgotten */
    apply(&f, bust);
    assert_alarms(&f, ALARM_UNKNOWN_EXEC, ALARM_NONE);
    free(f.mem);
}

static void test_order_recycles_longest_closed_first(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 3, 4);
    open_buy(&f, 1);
    open_buy(&f, 2);
    open_buy(&f, 3);
    assert_false(order_room(f.t));
    event(&f, 2, EXEC_TYPE_REJECTED);
    event(&f, 1, EXEC_TYPE_REJECTED);
    open_buy(&f, 4);
    assert_int_equal(order_find(f.t, 2), ORDER_NONE);
    assert_int_not_equal(order_find(f.t, 1), ORDER_NONE);
    open_buy(&f, 5);
    assert_int_equal(order_find(f.t, 1), ORDER_NONE);
    assert_false(order_room(f.t));
    assert_int_equal(order_at(f.t, order_first(f.t))->cl_ord_id, 5);
    free(f.mem);
}

static void test_order_side_lists_are_by_price_then_age(void **state)
{
    (void)state;
    static const struct {
        uint64_t id;
        int64_t  px;
    } buys[]                       = {{1, 1000}, {2, 1010}, {3, 1000}, {4, 990}, {5, 1010}};
    static const uint64_t sorted[] = {2, 5, 1, 3, 4};
    fix_t                 f;
    fix_open(&f, 8, 4);
    for (size_t i = 0; i < 5; i++) {
        open_at(&f, buys[i].id, SIDE_BUY, 10, buys[i].px, 1);
    }
    uint32_t at = order_side_first(f.t, 1, SIDE_BUY);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(order_at(f.t, at)->cl_ord_id, sorted[i]);
        at = order_side_next(f.t, at);
    }
    assert_int_equal(at, ORDER_NONE);
    assert_int_equal(order_side_first(f.t, 1, SIDE_SELL), ORDER_NONE);
    order_replace_sent(f.t, order_find(f.t, 4), 1020, 1020, 10); /* more eager at once */
    assert_int_equal(order_side_first(f.t, 1, SIDE_BUY), order_find(f.t, 4));
    free(f.mem);
}

static void test_order_executions_are_forgotten_oldest_first(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 4, 4);
    for (uint64_t exec = 1; exec <= 100; exec++) {
        fill(&f, 99, exec, 1, 1000, -1);
        assert_int_equal(f.effect.booked, 1);
        for (uint64_t old = exec > 3 ? exec - 3 : 1; old <= exec; old++) {
            fill(&f, 99, old, 1, 1000, -1);
            assert_int_equal(f.effect.duplicate, 1);
        }
    }
    fill(&f, 99, 96, 1, 1000, -1);
    assert_int_equal(f.effect.booked, 1);
    free(f.mem);
}

/* ---- random histories -------------------------------------------------------------------------------------------- */

typedef struct model_order {
    side_t   side;
    uint32_t instrument, replaces;
    bool     closed;
    int64_t  qty, cum, exec, pend_qty, px, pend_lo, pend_hi, venue_cum;
} model_order_t;

typedef struct model_exec {
    uint64_t order; /* 0: none */
    int64_t  qty;
    bool     busted;
} model_exec_t;

enum { STEPS = 20000, EXECS = STEPS };
static model_order_t orders[STEPS + 1];   /* by ClOrdID */
static model_exec_t  execs[3][EXECS + 1]; /* by instrument and exec id */
static uint64_t      exec_newest;

static uint64_t rnd_state;
static uint64_t rnd(uint64_t n)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return rnd_state % n;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t model_gap(const model_order_t *o)
{
    return larger(0, o->venue_cum - o->exec);
}

static int64_t model_part(const model_order_t *o)
{
    const int64_t total = o->replaces ? larger(o->qty, o->pend_qty) : o->qty;
    return o->closed ? model_gap(o) : larger(total - o->exec, model_gap(o));
}

static int64_t model_eager(const model_order_t *o)
{
    if (!o->replaces) {
        return o->px;
    }
    return o->side == SIDE_BUY ? larger(o->px, o->pend_hi) : -larger(-o->px, -o->pend_lo);
}

static void model_end_if_full(model_order_t *o)
{
    if (o->exec >= (o->replaces ? larger(o->qty, o->pend_qty) : o->qty)) {
        o->closed   = true;
        o->replaces = 0;
    }
}

static void table_check(const fix_t *f, uint64_t ids)
{
    uint32_t counted = 0;
    for (uint64_t id = 1; id <= ids; id++) {
        const model_order_t *m    = &orders[id];
        const bool           held = !m->closed || model_gap(m) > 0;
        const uint32_t       at   = order_find(f->t, id);
        counted += held;
        if (at == ORDER_NONE) {
            assert_false(held);
            continue;
        }
        const order_t *o = order_at(f->t, at);
        order_part_t   part;
        order_part(o, &part);
        assert_int_equal(o->cl_ord_id, id);
        assert_int_equal(order_is_open(o), !m->closed);
        assert_int_equal(o->cum_qty, m->cum);
        assert_int_equal(part.counts, held);
        assert_int_equal(part.qty, held ? model_part(m) : 0);
        assert_int_equal(order_gap(o), model_gap(m));
    }
    assert_int_equal(order_open_count(f->t), counted);
    uint32_t listed = 0;
    for (uint32_t at = order_first(f->t); at != ORDER_NONE; at = order_next(f->t, at)) {
        listed++;
    }
    assert_int_equal(listed, counted);
    uint32_t resting = 0;
    for (uint32_t ins = 1; ins <= 2; ins++) {
        for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
            int64_t last = side == SIDE_BUY ? INT64_MAX : INT64_MIN;
            for (uint32_t at = order_side_first(f->t, ins, side); at != ORDER_NONE; at = order_side_next(f->t, at)) {
                const order_t *o = order_at(f->t, at);
                assert_true(o->side == side && o->instrument_id == ins && order_is_open(o));
                assert_int_equal(order_eager_px(o), model_eager(&orders[o->cl_ord_id]));
                assert_true(side == SIDE_BUY ? order_eager_px(o) <= last : order_eager_px(o) >= last);
                last = order_eager_px(o);
                resting++;
            }
        }
    }
    for (uint64_t id = 1; id <= ids; id++) {
        resting -= !orders[id].closed;
    }
    assert_int_equal(resting, 0);
}

static void model_trade(fix_t *f, uint64_t id, uint32_t ins)
{
    const uint64_t exec  = exec_newest == 0 || rnd(4) ? ++exec_newest : 1 + rnd(exec_newest);
    const int64_t  qty   = (int64_t)rnd(30);
    const int64_t  cum   = rnd(3) ? -1 : (int64_t)rnd(60);
    const bool     known = order_find(f->t, id) != ORDER_NONE && orders[id].instrument == ins;
    const side_t   side  = rnd(8) || !known ? (known ? orders[id].side : SIDE_BUY) : SIDE_BUY;
    apply(f, (exec_report_t){.cl_ord_id     = id,
                             .exec_id_lo    = exec,
                             .instrument_id = ins,
                             .exec_type     = EXEC_TYPE_TRADE,
                             .side          = (uint8_t)side,
                             .last_qty      = qty,
                             .last_px       = 1000,
                             .cum_qty       = cum});
    model_exec_t *x     = &execs[ins][exec];
    const bool    books = qty > 0 && x->qty == 0;
    assert_int_equal(f->effect.booked, books);
    if (!books) {
        return;
    }
    *x = (model_exec_t){.order = known && side == orders[id].side ? id : 0, .qty = side == SIDE_BUY ? qty : -qty};
    assert_int_equal(f->effect.qty, x->qty);
    if (x->order) {
        model_order_t *o = &orders[id];
        o->exec += qty;
        o->cum += qty;
        o->venue_cum = larger(o->venue_cum, cum);
        if (!o->closed) {
            model_end_if_full(o);
        }
    }
}

static void model_bust(fix_t *f, uint64_t id, uint32_t ins)
{
    const uint64_t exec = exec_newest - rnd(exec_newest < 20 ? exec_newest + 1 : 20);
    model_exec_t  *x    = &execs[ins][exec];
    apply(f, (exec_report_t){.cl_ord_id     = orders[id].instrument == ins ? id : 0,
                             .exec_id_lo    = exec,
                             .instrument_id = ins,
                             .exec_type     = EXEC_TYPE_TRADE_CANCEL,
                             .cum_qty       = -1});
    const bool books = x->qty != 0 && !x->busted;
    assert_int_equal(f->effect.booked, books);
    if (books) {
        x->busted = true;
        assert_int_equal(f->effect.qty, -x->qty);
        if (order_find(f->t, x->order) != ORDER_NONE) {
            orders[x->order].cum -= x->qty < 0 ? -x->qty : x->qty;
        }
    }
}

static void model_replace(fix_t *f, uint64_t id, bool answer)
{
    model_order_t *o  = &orders[id];
    const uint32_t at = order_find(f->t, id);
    if (o->closed || at == ORDER_NONE) {
        return;
    }
    const int64_t px  = 990 + (int64_t)rnd(20);
    const int64_t qty = 1 + (int64_t)rnd(60);
    if (!answer) {
        order_replace_sent(f->t, at, px, px, qty);
        o->pend_qty = o->replaces ? larger(o->pend_qty, qty) : qty;
        o->pend_lo  = o->replaces ? -larger(-o->pend_lo, -px) : px;
        o->pend_hi  = o->replaces ? larger(o->pend_hi, px) : px;
        o->replaces++;
    } else if (rnd(2)) {
        apply(f, (exec_report_t){.cl_ord_id     = id,
                                 .instrument_id = o->instrument,
                                 .exec_type     = EXEC_TYPE_REPLACED,
                                 .order_qty     = qty,
                                 .px            = px,
                                 .cum_qty       = -1});
        const bool asked = o->replaces > 0 && qty <= o->pend_qty && px >= o->pend_lo && px <= o->pend_hi;
        o->px            = px;
        o->qty           = qty;
        o->replaces -= asked;
    } else {
        apply(f, (exec_report_t){.cl_ord_id     = id,
                                 .instrument_id = o->instrument,
                                 .exec_type     = EXEC_TYPE_REPLACE_REJECT,
                                 .cum_qty       = -1});
        o->replaces -= o->replaces > 0;
    }
    model_end_if_full(o);
}

static void model_end(fix_t *f, uint64_t id)
{
    model_order_t *o   = &orders[id];
    const int64_t  cum = rnd(3) ? -1 : (int64_t)rnd(60);
    if (order_find(f->t, id) != ORDER_NONE && rnd(2)) { /* a query ends it, and takes back any gap */
        apply(f, (exec_report_t){.cl_ord_id     = id,
                                 .instrument_id = o->instrument,
                                 .exec_type     = EXEC_TYPE_ORDER_STATUS,
                                 .ord_status    = ORD_STATUS_EXPIRED,
                                 .cum_qty       = o->exec});
        o->closed    = true;
        o->replaces  = 0;
        o->venue_cum = o->exec;
    } else if (order_find(f->t, id) != ORDER_NONE) {
        apply(f, (exec_report_t){
                     .cl_ord_id = id, .instrument_id = o->instrument, .exec_type = EXEC_TYPE_CANCELED, .cum_qty = cum});
        o->closed    = true;
        o->replaces  = 0;
        o->venue_cum = larger(o->venue_cum, cum);
    }
}

/* One of the newest, or one that is open however old. */
static uint64_t id_pick(const fix_t *f, uint64_t ids)
{
    uint32_t at = order_first(f->t);
    if (at == ORDER_NONE || rnd(2)) {
        return ids == 0 ? 0 : ids - rnd(ids < 40 ? ids : 40);
    }
    for (uint64_t skip = rnd(24); skip > 0 && order_next(f->t, at) != ORDER_NONE; skip--) {
        at = order_next(f->t, at);
    }
    return order_at(f->t, at)->cl_ord_id;
}

static void test_order_random_histories(void **state)
{
    (void)state;
    const char *env  = getenv("HWAL_SEED");
    uint64_t    ids  = 0;
    uint32_t    full = 0;
    fix_t       f;
    rnd_state = env ? strtoull(env, NULL, 10) : 20241108;
    printf("seed %" PRIu64 " (HWAL_SEED)\n", rnd_state);
    rnd_state = rnd_state ? rnd_state : 1;
    fix_open(&f, 24, EXECS); /* no execution is forgotten */
    for (int i = 0; i < STEPS; i++) {
        const uint64_t id  = id_pick(&f, ids);
        const uint32_t ins = 1 + (uint32_t)rnd(2);
        switch (rnd(8)) {
        case 0:
        case 1:
            if (order_room(f.t)) {
                ids++;
                orders[ids] = (model_order_t){.side       = rnd(2) ? SIDE_BUY : SIDE_SELL,
                                              .instrument = ins,
                                              .qty        = 1 + (int64_t)rnd(60),
                                              .px         = 990 + (int64_t)rnd(20)};
                open_at(&f, ids, orders[ids].side, orders[ids].qty, orders[ids].px, ins);
            } else {
                full++;
            }
            break;
        case 2: model_replace(&f, id, false); break;
        case 3: model_replace(&f, id, true); break;
        case 4: model_bust(&f, id, ins); break;
        case 5: model_end(&f, id); break;
        default: model_trade(&f, id, ins); break;
        }
        if (i % 16 == 0 || i < 500) {
            table_check(&f, ids);
        }
        if (i % 100 == 0) { /* the bytes are the snapshot */
            void *copy = aligned_alloc(64, f.bytes);
            memcpy(copy, f.mem, f.bytes);
            assert_true(order_hash(0, order_join(copy)) == order_hash(0, f.t));
            free(f.mem);
            f.mem = copy;
            f.t   = order_join(copy);
        }
    }
    printf("%" PRIu64 " orders, table full %u times\n", ids, full);
    assert_true(ids > 1000);
    free(f.mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_refuses_bad_memory_and_cfg),
        cmocka_unit_test(test_order_life),
        cmocka_unit_test(test_order_never_opens_again),
        cmocka_unit_test(test_order_replaces_count_at_the_worst_until_the_last_is_answered),
        cmocka_unit_test(test_order_gap_counts_until_the_fills_came),
        cmocka_unit_test(test_order_not_found_twice_is_dead_only_if_never_seen),
        cmocka_unit_test(test_order_fills_of_others),
        cmocka_unit_test(test_order_bust_gives_back_fill_and_fee_once),
        cmocka_unit_test(test_order_recycles_longest_closed_first),
        cmocka_unit_test(test_order_side_lists_are_by_price_then_age),
        cmocka_unit_test(test_order_executions_are_forgotten_oldest_first),
        cmocka_unit_test(test_order_random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
