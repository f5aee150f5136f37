/* Schedules of execution algorithms.
 *
 * Checked   hand-computed TWAP and VWAP slots; the last target is the whole and targets never fall, for random plans; no TWAP
 *           slot is under the least order; the curve forgets by an eighth a day and counts no day before it is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/order/algo.h"

#define HOUR (3600 * NS_PER_S)

static void test_algo_twap_by_hand(void **state)
{
    (void)state;
    const algo_plan_t p = {.start_utc_ns = 100, .end_utc_ns = 1100, .qty = 70, .lot = 10, .slots = 3};
    assert_int_equal(algo_target(&p, 0), 20); /* 7 lots: 2, 2, 3 */
    assert_int_equal(algo_target(&p, 1), 40);
    assert_int_equal(algo_target(&p, 2), 70);
    assert_int_equal(algo_slot_ns(&p, 0), 100);
    assert_int_equal(algo_slot_ns(&p, 1), 433);
    assert_int_equal(algo_slot_ns(&p, 3), 1100);
}

static void test_algo_slots(void **state)
{
    (void)state;
    assert_int_equal(algo_slots(10, HOUR, 1000, 1, 1), 10);
    assert_int_equal(algo_slots(0, HOUR, 1000, 1, 1), 60); /* one a minute */
    assert_int_equal(algo_slots(0, 10 * HOUR, 1000, 1, 1), 255);
    assert_int_equal(algo_slots(0, 5, 1000, 1, 1), 1);
    assert_int_equal(algo_slots(10, HOUR, 70, 10, 25), 2); /* 7 lots, 3 of them are the least: 3 and 4 */
    assert_int_equal(algo_slots(10, HOUR, 20, 10, 25), 1);
    assert_int_equal(algo_slots(10, HOUR, 20, 10, 0), 2);
}

static void test_algo_vwap_by_hand(void **state)
{
    (void)state;
    algo_curve_t c = {0};
    /* day 1: 100 in the half hour from 10:00, 300 in the one from 10:30 */
    const int64_t day = NS_PER_DAY, ten = 10 * HOUR;
    algo_curve_learn(&c, day + ten, 60);
    algo_curve_learn(&c, day + ten + HOUR / 2 - 1, 40);
    algo_curve_learn(&c, day + ten + HOUR / 2, 300);
    assert_int_equal(c.days, 0);
    algo_plan_t p = {
        .start_utc_ns = 2 * day + ten, .end_utc_ns = 2 * day + ten + HOUR, .qty = 800, .lot = 1, .slots = 4};
    p.curve = &c;
    assert_int_equal(algo_target(&p, 0), 200); /* no whole day is known: as TWAP */
    algo_curve_learn(&c, 2 * day, 7);
    assert_int_equal(c.days, 1);
    assert_int_equal(algo_target(&p, 0), 100); /* 50, 100, 250, 400 of 400 */
    assert_int_equal(algo_target(&p, 1), 200);
    assert_int_equal(algo_target(&p, 2), 500);
    assert_int_equal(algo_target(&p, 3), 800);
    p.start_utc_ns = 2 * day + 20 * HOUR; /* nothing is traded then: as TWAP */
    p.end_utc_ns   = p.start_utc_ns + HOUR;
    assert_int_equal(algo_target(&p, 0), 200);
    p.start_utc_ns = 2 * day + ten; /* over midnight, and a day: 400 and the 100 of 10:00 again */
    p.end_utc_ns   = 3 * day + ten + HOUR / 2;
    p.slots        = 1;
    assert_int_equal(algo_target(&p, 0), 800);
}

static void test_algo_curve_forgets(void **state)
{
    (void)state;
    algo_curve_t c = {0};
    algo_curve_learn(&c, NS_PER_DAY, 800);
    algo_curve_learn(&c, 2 * NS_PER_DAY, 80);
    assert_int_equal(c.past[0], 800);
    algo_curve_learn(&c, NS_PER_DAY, 5); /* of yesterday: in neither */
    algo_curve_learn(&c, 2 * NS_PER_DAY, -5);
    algo_curve_learn(&c, 5 * NS_PER_DAY, 1);
    assert_int_equal(c.past[0], 780);
    assert_int_equal(c.days, 2);
    algo_curve_learn(&c, 5 * NS_PER_DAY, INT64_MAX);
    algo_curve_learn(&c, 5 * NS_PER_DAY, INT64_MAX);
    algo_curve_learn(&c, 6 * NS_PER_DAY, 1);
    assert_int_equal(c.past[0], ALGO_VOLUME_MAX);
}

static void test_algo_huge_figures_do_not_wrap(void **state)
{
    (void)state;
    algo_curve_t c = {0};
    for (int64_t d = 1; d < 4; d++) {
        for (int64_t i = 0; i < ALGO_HALF_HOURS; i++) {
            algo_curve_learn(&c, d * NS_PER_DAY + i * ALGO_HALF_HOUR_NS, INT64_MAX);
        }
    }
    const algo_plan_t p = {
        .start_utc_ns = 4 * NS_PER_DAY, .end_utc_ns = INT64_MAX, .qty = INT64_MAX, .lot = 1, .slots = 255, .curve = &c};
    int64_t before = 0;
    for (uint32_t k = 0; k < p.slots; k++) {
        const int64_t target = algo_target(&p, k);
        assert_true(target >= before);
        before = target;
    }
    assert_true(before == INT64_MAX);
}

static void test_algo_random_plans_sum_to_the_whole(void **state)
{
    (void)state;
    const char    *given = getenv("HWAL_SEED");
    const unsigned seed  = given ? (unsigned)strtoul(given, NULL, 10) : 4711;
    const int      runs  = getenv("HWAL_QUICK") ? 2000 : 20000;
    printf("HWAL_SEED=%u\n", seed);
    srand(seed);
    algo_curve_t c = {0};
    for (int64_t d = 1; d < 5; d++) {
        for (int i = 0; i < 100; i++) {
            algo_curve_learn(&c, d * NS_PER_DAY + rand() % 86400 * NS_PER_S, rand() % 1000);
        }
    }
    for (int r = 0; r < runs; r++) {
        algo_plan_t p        = {.start_utc_ns = (4 + rand() % 5) * NS_PER_DAY + rand() % 86400 * NS_PER_S};
        p.end_utc_ns         = p.start_utc_ns + 1 + rand() % 200000 * NS_PER_S;
        p.lot                = 1 + rand() % 20;
        p.qty                = p.lot * (1 + rand() % 5000);
        p.curve              = rand() % 2 ? &c : NULL;
        const int64_t least  = rand() % 100;
        int64_t       before = 0;
        p.slots              = algo_slots((uint32_t)rand() % 256, p.end_utc_ns - p.start_utc_ns, p.qty, p.lot, least);
        for (uint32_t k = 0; k < p.slots; k++) {
            const int64_t target = algo_target(&p, k);
            assert_true(target >= before && target <= p.qty && target % p.lot == 0);
            assert_true(p.curve || p.slots == 1 || (target - before >= least && target - before >= p.lot));
            assert_true(algo_slot_ns(&p, k) <= algo_slot_ns(&p, k + 1));
            before = target;
        }
        assert_int_equal(before, p.qty);
        assert_int_equal(algo_slot_ns(&p, p.slots), p.end_utc_ns);
    }
}

static void test_algo_iceberg(void **state)
{
    (void)state;
    assert_int_equal(algo_iceberg(100, 30), 30);
    assert_int_equal(algo_iceberg(10, 30), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_algo_twap_by_hand),
        cmocka_unit_test(test_algo_slots),
        cmocka_unit_test(test_algo_vwap_by_hand),
        cmocka_unit_test(test_algo_curve_forgets),
        cmocka_unit_test(test_algo_huge_figures_do_not_wrap),
        cmocka_unit_test(test_algo_random_plans_sum_to_the_whole),
        cmocka_unit_test(test_algo_iceberg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
