/* Histogram against a sorted array: every quantile within one thousandth, exact below 2048; count, sum and max exact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ipc/histogram.h"

static histogram_t h;

static uint64_t next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    return *x ^= *x << 17;
}

static int rising(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void test_histogram_quantiles_match_a_sorted_array(void **state)
{
    enum { N = 20000 };
    static uint64_t v[N];
    uint64_t        x = 0x9e3779b97f4a7c15u, sum = 0;
    (void)state;
    for (int i = 0; i < N; i++) {
        v[i] = next(&x) >> (24 + next(&x) % 40);
        sum += v[i];
        histogram_record(&h, v[i]);
    }
    qsort(v, N, sizeof v[0], rising);
    assert_int_equal(h.count, N);
    assert_int_equal(h.sum, sum);
    assert_int_equal(h.max, v[N - 1]);
    for (uint32_t q = 1000; q <= 1000000; q += 1000) {
        const uint64_t exact = v[((uint64_t)N * q + 999999) / 1000000 - 1], got = histogram_quantile(&h, q);
        assert_true(got >= exact);
        assert_true(got - exact <= exact / 1000);
    }
}

static void test_histogram_edges(void **state)
{
    static histogram_t e;
    (void)state;
    assert_int_equal(histogram_quantile(&e, 500000), 0);
    histogram_record(&e, UINT64_MAX);
    assert_int_equal(histogram_quantile(&e, 500000), UINT64_MAX);
    for (uint64_t v = 1; v < 1ull << HISTOGRAM_BITS; v *= 2) {
        assert_true(histogram_index(v) > histogram_index(v - 1) || v <= 1);
        assert_true(histogram_index(v) < HISTOGRAM_COUNTERS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram_quantiles_match_a_sorted_array),
        cmocka_unit_test(test_histogram_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
