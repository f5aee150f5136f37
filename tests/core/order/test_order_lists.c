/* Lists of the order table. Checked here:
 *   - sides: the tree against a plain sorted array, through random opens, replaces and ends; its best at hand; orders of one
 *     price in the order in which they came; prices that rise or fall all the way do not make it a list
 *   - silence: who waits, since when, told once for each silence, longest first; a word from the venue begins it anew
 *   - walks: go on over opens and ends, pass over what ended, never see what came later */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/order/order.h"
#include "tests/lib/seeded.h"

typedef struct fix {
    void          *mem;
    order_table_t *t;
    instrument_t   ins;
    order_effect_t effect;
} fix_t;

static void fix_open(fix_t *f, uint32_t orders_max, int64_t answer_ns)
{
    const order_cfg_t cfg = {.orders_max = orders_max, .fills_max = 4, .instruments_max = 1, .answer_ns = answer_ns};
    memset(f, 0, sizeof *f);
    f->mem = aligned_alloc(64, order_footprint(&cfg));
    assert_non_null(order_new(f->mem, &cfg));
    f->t = order_join(f->mem);
}

static uint32_t open_px(fix_t *f, uint64_t id, side_t side, int64_t px)
{
    return order_open(f->t,
                      &(order_req_t){.cl_ord_id     = id,
                                     .tenant_id     = 1,
                                     .account_id    = 1,
                                     .instrument_id = 1,
                                     .side          = (uint8_t)side,
                                     .ord_type      = ORD_TYPE_LIMIT,
                                     .tif           = TIF_GTC,
                                     .qty           = 10,
                                     .px            = px},
                      px);
}

static void event(fix_t *f, uint64_t id, exec_type_t type)
{
    const exec_report_t rep = {.cl_ord_id = id, .exec_type = (uint8_t)type, .cum_qty = -1};
    order_apply_exec(f->t, &rep, &f->ins, &f->effect);
}

/* ---- sides ------------------------------------------------------------------------------------------------------- */
enum { SIDE_ORDERS = 400 };

typedef struct listed { /* the model: best first, oldest of a price first */
    uint64_t id;
    int64_t  px;
} listed_t;

static void model_add(listed_t *list, uint32_t *count, uint64_t id, int64_t px, side_t side)
{
    uint32_t at = 0;
    while (at < *count && (side == SIDE_BUY ? list[at].px >= px : list[at].px <= px)) {
        at++;
    }
    memmove(list + at + 1, list + at, (*count - at) * sizeof *list);
    list[at] = (listed_t){.id = id, .px = px};
    ++*count;
}

static void model_drop(listed_t *list, uint32_t *count, uint64_t id)
{
    uint32_t at = 0;
    while (list[at].id != id) {
        at++;
    }
    memmove(list + at, list + at + 1, (*count - at - 1) * sizeof *list);
    --*count;
}

static void compare(const fix_t *f, const listed_t *list, uint32_t count, side_t side)
{
    uint32_t row = order_side_first(f->t, 1, side);
    for (uint32_t i = 0; i < count; i++, row = order_side_next(f->t, row)) {
        assert_int_not_equal(row, ORDER_NONE);
        assert_int_equal(order_at(f->t, row)->cl_ord_id, list[i].id);
    }
    assert_int_equal(row, ORDER_NONE);
}

static uint32_t depth_of(const fix_t *f, uint32_t row)
{
    uint32_t depth = 0;
    for (; row != ORDER_NONE; row = order_at(f->t, row)->side_up) {
        depth++;
    }
    return depth;
}

static void test_order_sides_against_a_sorted_array(void **state)
{
    (void)state;
    uint64_t        seed = seeded_seed("test_order_lists");
    fix_t           f;
    static listed_t lists[3][SIDE_ORDERS];
    uint32_t        counts[3] = {0};
    uint64_t        id        = 0;
    fix_open(&f, 2 * SIDE_ORDERS, 0);
    for (uint32_t step = 0; step < 20000; step++) {
        const side_t   side = seeded_next(&seed) % 2 ? SIDE_BUY : SIDE_SELL;
        listed_t      *list = lists[side];
        uint32_t      *n    = &counts[side];
        const int64_t  px   = 1000 + (int64_t)(seeded_next(&seed) % 30);
        const uint64_t what = seeded_next(&seed) % 8;
        if (*n < SIDE_ORDERS && (*n < 3 || what < 4)) {
            open_px(&f, ++id, side, px);
            model_add(list, n, id, px, side);
        } else if (what < 7) {
            const uint64_t gone = list[seeded_next(&seed) % *n].id;
            event(&f, gone, EXEC_TYPE_REJECTED);
            model_drop(list, n, gone);
        } else { /* a replace moves it, and is refused or not: the most eager price counts meanwhile */
            const listed_t it    = list[seeded_next(&seed) % *n];
            const bool     ahead = side == SIDE_BUY ? px > it.px : px < it.px;
            order_replace_sent(f.t, order_find(f.t, it.id), px, px, 10);
            if (ahead) {
                model_drop(list, n, it.id);
                model_add(list, n, it.id, px, side);
            }
            compare(&f, list, *n, side);
            event(&f, it.id, EXEC_TYPE_REPLACE_REJECT);
            if (ahead) {
                model_drop(list, n, it.id);
                model_add(list, n, it.id, it.px, side);
            }
        }
        if (step % 16 == 0) {
            compare(&f, list, *n, side);
        }
    }
    free(f.mem);
}

static void test_order_sides_stay_shallow_whatever_the_prices(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    for (int way = -1; way <= 1; way++) {
        fix_t    f;
        uint32_t deepest = 0;
        fix_open(&f, COUNT, 0);
        for (uint32_t i = 1; i <= COUNT; i++) {
            open_px(&f, i, SIDE_BUY, 100000 + way * (int64_t)i);
        }
        for (uint32_t row = 0; row < COUNT; row++) {
            const uint32_t depth = depth_of(&f, row);
            deepest              = depth > deepest ? depth : deepest;
        }
        assert_in_range(deepest, 15, 60); /* log2 is 14.3; a treap's expected depth is below 3 times that */
        assert_int_equal(order_side_first(f.t, 1, SIDE_BUY), way == 1 ? COUNT - 1 : 0);
        free(f.mem);
    }
}

/* ---- silence ----------------------------------------------------------------------------------------------------- */
static uint32_t overdue(fix_t *f, int64_t mono_ns, int64_t *waited)
{
    *waited = 0;
    return order_overdue(f->t, (now_t){.mono_ns = mono_ns}, waited);
}

static void test_order_overdue_is_told_once_for_each_silence(void **state)
{
    (void)state;
    fix_t   f;
    int64_t waited;
    fix_open(&f, 8, 100);
    assert_int_equal(order_answer_ns(f.t), 100);
    assert_int_equal(overdue(&f, 10, &waited), ORDER_NONE);
    const uint32_t a = open_px(&f, 1, SIDE_BUY, 1000); /* since 10 */
    assert_int_equal(overdue(&f, 50, &waited), ORDER_NONE);
    const uint32_t b = open_px(&f, 2, SIDE_BUY, 1000);       /* since 50 */
    assert_int_equal(overdue(&f, 110, &waited), ORDER_NONE); /* exactly as long as it may */
    assert_int_equal(overdue(&f, 111, &waited), a);
    assert_int_equal(waited, 101);
    assert_int_equal(overdue(&f, 111, &waited), ORDER_NONE);
    event(&f, 2, EXEC_TYPE_NEW); /* answered */
    assert_int_equal(overdue(&f, 1000, &waited), ORDER_NONE);
    /* a cancel waits; a word that is not its answer begins the silence anew, TIMEOUT is no word */
    order_cancel_sent(f.t, b, (now_t){.mono_ns = 1000});
    event(&f, 2, EXEC_TYPE_TIMEOUT);
    assert_int_equal(overdue(&f, 1090, &waited), ORDER_NONE);
    event(&f, 2, EXEC_TYPE_RESTATED); /* since 1090; the cancel is not answered */
    assert_int_equal(overdue(&f, 1190, &waited), ORDER_NONE);
    assert_int_equal(overdue(&f, 1191, &waited), b);
    assert_int_equal(overdue(&f, 9000, &waited), ORDER_NONE);
    event(&f, 2, EXEC_TYPE_CANCELED);
    /* replaces and questions wait likewise, and a new request does not hide an old one */
    const uint32_t c = open_px(&f, 3, SIDE_BUY, 1000);
    event(&f, 3, EXEC_TYPE_NEW);
    order_replace_sent(f.t, c, 1001, 1001, 10); /* since 9000 */
    assert_int_equal(overdue(&f, 9060, &waited), ORDER_NONE);
    order_replace_sent(f.t, c, 1002, 1002, 10);
    assert_int_equal(overdue(&f, 9101, &waited), c);
    event(&f, 3, EXEC_TYPE_REPLACED);
    event(&f, 3, EXEC_TYPE_REPLACED);
    order_asked(f.t, c, (now_t){.mono_ns = 9200});
    assert_int_equal(overdue(&f, 9300, &waited), ORDER_NONE);
    assert_int_equal(overdue(&f, 9301, &waited), c);
    /* three at once, the longest silence first, one from the middle answered */
    event(&f, 3, EXEC_TYPE_EXPIRED);
    open_px(&f, 4, SIDE_BUY, 1000);
    open_px(&f, 5, SIDE_BUY, 1000);
    open_px(&f, 6, SIDE_BUY, 1000);
    event(&f, 5, EXEC_TYPE_NEW);
    assert_int_equal(overdue(&f, 9500, &waited), order_find(f.t, 4));
    assert_int_equal(overdue(&f, 9500, &waited), order_find(f.t, 6));
    assert_int_equal(overdue(&f, 9500, &waited), ORDER_NONE);
    free(f.mem);
    fix_open(&f, 8, 0); /* nobody asked for it */
    open_px(&f, 1, SIDE_BUY, 1000);
    assert_int_equal(overdue(&f, INT64_MAX, &waited), ORDER_NONE);
    free(f.mem);
    assert_int_equal(
        order_footprint(&(order_cfg_t){.orders_max = 1, .fills_max = 1, .instruments_max = 1, .answer_ns = -1}), 0);
}

/* ---- walks ------------------------------------------------------------------------------------------------------- */
static void test_order_walks_go_on_over_changes(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 8, 0);
    assert_int_equal(order_walk(f.t, 0), ORDER_NONE);
    for (uint64_t id = 1; id <= 5; id++) {
        open_px(&f, id, SIDE_BUY, 1000);
    }
    order_walk_begin(f.t, 0);
    order_walk_begin(f.t, ORDER_WALKS_MAX - 1);
    assert_int_equal(order_at(f.t, order_walk(f.t, 0))->cl_ord_id, 5);
    open_px(&f, 6, SIDE_BUY, 1000);   /* came later */
    event(&f, 4, EXEC_TYPE_REJECTED); /* where the walk stands */
    event(&f, 3, EXEC_TYPE_REJECTED);
    assert_int_equal(order_at(f.t, order_walk(f.t, 0))->cl_ord_id, 2);
    assert_int_equal(order_at(f.t, order_walk(f.t, 0))->cl_ord_id, 1);
    assert_int_equal(order_walk(f.t, 0), ORDER_NONE);
    assert_int_equal(order_walk(f.t, 0), ORDER_NONE);
    event(&f, 5, EXEC_TYPE_REJECTED);
    event(&f, 2, EXEC_TYPE_REJECTED);
    event(&f, 1, EXEC_TYPE_REJECTED);
    assert_int_equal(order_walk(f.t, ORDER_WALKS_MAX - 1),
                     ORDER_NONE); /* all of its orders ended before it came to them */
    free(f.mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_sides_against_a_sorted_array),
        cmocka_unit_test(test_order_sides_stay_shallow_whatever_the_prices),
        cmocka_unit_test(test_order_overdue_is_told_once_for_each_silence),
        cmocka_unit_test(test_order_walks_go_on_over_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
