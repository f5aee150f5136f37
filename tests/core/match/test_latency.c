/* latency: a table of quantiles from buckets, and draws from it.
 *
 * Invariants   a draw is one of the buckets' ends, scaled up; over many draws each comes about as often as it was counted;
 *              equal seeds give equal draws; what is wrong with buckets is refused with a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/match/latency.h"

static latency_t table;

static void test_draws_come_as_often_as_they_were_counted(void **state)
{
    (void)state;
    const char *text = getenv("HWAL_SEED");
    uint64_t    rng  = text != NULL ? strtoull(text, NULL, 0) : 0x1a7e;
    printf("seed %#llx (HWAL_SEED)\n", (unsigned long long)rng);
    static const latency_bucket_t b[] = {{100, 500}, {200, 0}, {301, 300}, {400, 199}, {1000000, 1}};
    assert_int_equal(latency_build(&table, b, 5, 1500000), ERR_OK);
    assert_int_equal(table.count, 4); /* the empty one is left out */
    assert_int_equal(latency_slowest(&table), 1500000);
    unsigned       seen[4] = {0};
    const unsigned n       = 400000;
    for (unsigned i = 0; i < n; i++) {
        const int64_t ns   = latency_draw(&table, &rng);
        const int64_t at[] = {150, 452, 600, 1500000}; /* 301 x 1.5 = 451.5, up */
        unsigned      k    = 0;
        while (k < 4 && at[k] != ns) {
            k++;
        }
        assert_true(k < 4);
        seen[k]++;
    }
    printf("  %u %u %u %u of %u\n", seen[0], seen[1], seen[2], seen[3], n);
    assert_in_range(seen[0], n / 1000 * 495, n / 1000 * 505);
    assert_in_range(seen[1], n / 1000 * 295, n / 1000 * 305);
    assert_in_range(seen[2], n / 1000 * 194, n / 1000 * 204);
    assert_in_range(seen[3], n / 2000, n / 500);
}

static void test_equal_seeds_draw_equally(void **state)
{
    (void)state;
    latency_bucket_t b[LATENCY_POINTS_MAX];
    for (unsigned i = 0; i < LATENCY_POINTS_MAX; i++) {
        b[i] = (latency_bucket_t){.ns = i, .count = UINT64_C(1) << 40};
    }
    assert_int_equal(latency_build(&table, b, LATENCY_POINTS_MAX, LATENCY_SCALE_ONE), ERR_OK);
    uint64_t one = 9, two = 9, other = 10;
    unsigned differ = 0;
    for (unsigned i = 0; i < 1000; i++) {
        const int64_t ns = latency_draw(&table, &one);
        assert_int_equal(ns, latency_draw(&table, &two));
        differ += ns != latency_draw(&table, &other);
    }
    assert_true(differ > 900);
    /* one bucket: a constant */
    assert_int_equal(latency_build(&table, &(latency_bucket_t){77, 1}, 1, LATENCY_SCALE_ONE), ERR_OK);
    assert_int_equal(latency_draw(&table, &one), 77);
    /* a share too small to be drawn, first of all, does not become the smallest draw */
    assert_int_equal(latency_build(&table, (latency_bucket_t[]){{1, 1}, {2, UINT64_C(1) << 60}}, 2, LATENCY_SCALE_ONE),
                     ERR_OK);
    assert_int_equal(latency_draw(&table, &one), 2);
}

static void test_bad_buckets_are_refused(void **state)
{
    (void)state;
    static latency_bucket_t many[LATENCY_POINTS_MAX + 1];
    for (unsigned i = 0; i <= LATENCY_POINTS_MAX; i++) {
        many[i] = (latency_bucket_t){.ns = i, .count = 1};
    }
    const struct {
        const latency_bucket_t *b;
        uint32_t                count;
        int64_t                 scale;
        err_t                   err;
        const char             *says;
    } bad[] = {{many, 0, 1000000, ERR_ARG, "nothing"},
               {many, 1, 0, ERR_ARG, "scale is 0"},
               {(latency_bucket_t[]){{5, 1}, {5, 1}}, 2, 1000000, ERR_ARG, "bucket 1 ends at 5 ns"},
               {(latency_bucket_t[]){{-1, 1}}, 1, 1000000, ERR_ARG, "bucket 0 ends at -1"},
               {(latency_bucket_t[]){{LATENCY_MAX_NS, 1}}, 1, 1000001, ERR_RANGE, "limit 3600000000000 ns"},
               {(latency_bucket_t[]){{1, INT64_MAX}, {2, 1}}, 2, 1000000, ERR_RANGE, "2^63-1"},
               {many, LATENCY_POINTS_MAX + 1, 1000000, ERR_LIMIT, "more than 4096"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(latency_build(&table, bad[i].b, bad[i].count, bad[i].scale), bad[i].err);
        assert_non_null(strstr(err_msg(), bad[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_come_as_often_as_they_were_counted),
        cmocka_unit_test(test_equal_seeds_draw_equally),
        cmocka_unit_test(test_bad_buckets_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
