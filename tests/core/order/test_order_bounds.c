/* Bounds of held orders and of schedules that only one value can tell from the one beside it.
 *
 * Checked   the largest sizes are taken; the last instrument has a list of its own; rows that are due come out in order, of
 *           many, however they were moved; an index is as large as it must be; a trade of yesterday is in no day; a
 *           schedule's product on the edge of 64 bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/order/algo.h"
#include "core/order/held.h"
#include "core/order/order.h"

static void test_the_largest_table(void **state)
{
    (void)state;
    held_cfg_t cfg = {.rows_max = 1, .slices_max = HELD_ROWS_MAX, .instruments_max = ORDER_INSTRUMENTS_MAX};
    assert_int_not_equal(held_footprint(&cfg), 0);
    cfg.rows_max = HELD_ROWS_MAX;
    assert_int_not_equal(held_footprint(&cfg), 0);
}

/* The arena is full of other bytes before; sizes are such that nothing is left between one list and the next. */
static void test_the_last_instrument_and_what_is_due(void **state)
{
    (void)state;
    enum { ROWS = 64, LAST = 16 };
    const held_cfg_t cfg = {.rows_max = ROWS, .slices_max = ROWS, .instruments_max = LAST};
    void            *mem = aligned_alloc(held_align(), held_footprint(&cfg));
    assert_non_null(mem);
    memset(mem, 0x5a, held_footprint(&cfg));
    held_table_t *t = held_join(held_new(mem, &cfg));
    assert_non_null(t);
    for (uint32_t id = 1; id <= LAST; id++) {
        assert_int_equal(held_watch_first(t, id), HELD_NONE);
    }
    int64_t  due[ROWS] = {0};
    uint32_t x         = 12345;
    for (uint32_t i = 0; i < ROWS; i++) {
        const order_terms_req_t terms = {
            .cl_ord_id = i + 1, .instrument_id = LAST, .side = SIDE_BUY, .qty = 100, .px = 5};
        const uint32_t row = held_open(t, &terms, HELD_NONE, 77);
        assert_int_equal(row, i);
        held_watch(t, row, true);
        assert_int_equal(held_watch_first(t, LAST), row);
    }
    for (int round = 0; round < 8; round++) {
        for (uint32_t i = 0; i < ROWS; i++) { /* later, sooner, as another one */
            x      = x * 1664525U + 1013904223U;
            due[i] = 1 + (x >> 16) % 40;
            held_due(t, i, due[i]);
        }
        for (uint32_t left = ROWS; left > 0; left--) {
            const uint32_t first = held_due_first(t);
            assert_in_range(first, 0, ROWS - 1);
            for (uint32_t i = 0; i < ROWS; i++) { /* nothing sooner, and of equals the one opened first */
                assert_true(due[i] == 0 || due[i] > due[first] || (due[i] == due[first] && i >= first));
            }
            due[first] = 0;
            held_due(t, first, 0);
            if (left % 3 == 0) {
                uint32_t other = (first + 7) % ROWS;
                while (due[other] == 0 && other != first) {
                    other = (other + 1) % ROWS;
                }
                if (due[other] != 0) {
                    due[other] = 1 + (due[other] * 7) % 50;
                    held_due(t, other, due[other]);
                }
            }
        }
        assert_int_equal(held_due_first(t), HELD_NONE);
    }
    for (uint32_t row = held_watch_first(t, LAST), n = ROWS; n > 0; n--, row = held_watch_next(t, row)) {
        assert_int_equal(row, n - 1);
    }
    free(mem);
}

static void test_a_trade_of_yesterday_is_in_no_day(void **state)
{
    (void)state;
    algo_curve_t c = {0};
    algo_curve_learn(&c, 2 * NS_PER_DAY, 5);
    algo_curve_learn(&c, NS_PER_DAY, 7);
    algo_curve_learn(&c, 2 * NS_PER_DAY, -3);
    assert_int_equal(c.today[0], 5);
    algo_curve_learn(&c, 3 * NS_PER_DAY - 1, 11);
    algo_curve_learn(&c, 3 * NS_PER_DAY, 1);
    assert_int_equal(c.days, 1);
    assert_int_equal(c.past[0], 5);
    assert_int_equal(c.past[ALGO_HALF_HOURS - 1], 11);
    assert_int_equal(c.today[0], 1);
    assert_int_equal(c.today[ALGO_HALF_HOURS - 1], 0);
}

/* The volume of the span is 2^63 - 1 = 7 * 92737 * 14208186340873: no bit of it needs to go, and its seventh part is one lot of
 * seven. */
static void test_a_volume_that_just_fits(void **state)
{
    (void)state;
    const int64_t     span = 7LL * 92737;
    algo_curve_t      c    = {.past = {INT64_MAX / span}, .days = 1};
    const algo_plan_t p    = {.end_utc_ns = span, .qty = 7, .lot = 1, .slots = 7, .curve = &c};
    assert_true((i128_t)c.past[0] * span == INT64_MAX && c.past[0] <= ALGO_VOLUME_MAX);
    for (uint32_t k = 0; k < 7; k++) {
        assert_int_equal(algo_target(&p, k), k + 1);
    }
}

/* An index has twice as many cells as rows and not more: where that is a power of two, one row more costs a row alone. */
static void test_an_index_is_not_larger_than_it_must_be(void **state)
{
    (void)state;
    const order_cfg_t cfg[]  = {{.orders_max = 62, .fills_max = 62, .instruments_max = 1},
                                {.orders_max = 63, .fills_max = 63, .instruments_max = 1},
                                {.orders_max = 64, .fills_max = 64, .instruments_max = 1}};
    const size_t      size[] = {order_footprint(&cfg[0]), order_footprint(&cfg[1]), order_footprint(&cfg[2])};
    assert_true(size[2] - size[1] <= size[1] - size[0] + 256); /* each of four parts begins a line */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_largest_table),
        cmocka_unit_test(test_the_last_instrument_and_what_is_due),
        cmocka_unit_test(test_an_index_is_not_larger_than_it_must_be),
        cmocka_unit_test(test_a_trade_of_yesterday_is_in_no_day),
        cmocka_unit_test(test_a_volume_that_just_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
