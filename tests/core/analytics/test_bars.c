/* bars: what is checked here
 *
 *  1. TIME, TICKS, VOLUME, VALUE against a slow model (all accepted trades in a list, grouped afresh) on random streams
 *     with silences, late trades, negative prices and a clock that closes bars by itself
 *  2. the sums of all bars are the sums of all accepted trades; the late ones are counted, and change nothing
 *  3. bars of bars: 1-minute into 3-minute, 3 trades into 6, are what the trades give directly
 *  4. edges by hand: an interval's first and last nanosecond, before 1970, silence told as empty bars, sums unknown
 *  5. each refusal, and that it changes nothing
 *
 * Random streams print their seed; HWAL_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/analytics/bars.h"
#include "tests/lib/seeded.h"

#define TRADES_MAX 3000
#define BARS_MAX 20000
#define MINUTE INT64_C(60000000000)

typedef struct trade {
    int64_t ts_ns, px, qty;
} trade_t;

static trade_t  accepted[TRADES_MAX];
static uint32_t accepted_count;
static bar_t    got[BARS_MAX], want[BARS_MAX];
static uint32_t got_count, want_count;

static bool bar_same(const bar_t *a, const bar_t *b)
{
    return a->ts_begin_ns == b->ts_begin_ns && a->ts_end_ns == b->ts_end_ns && a->open == b->open &&
           a->high == b->high && a->low == b->low && a->close == b->close && a->qty == b->qty && a->value == b->value &&
           a->trades == b->trades && a->known == b->known;
}

static void all_same(void)
{
    assert_int_equal(got_count, want_count);
    for (uint32_t i = 0; i < got_count; i++) {
        assert_true(bar_same(&got[i], &want[i]));
    }
}

/* ---- the slow model: the bar of some trades, from nothing -------------------------------------------------------- */
static bar_t bar_of(const trade_t *t, uint32_t n, int64_t begin_ns, int64_t end_ns)
{
    bar_t bar = {.ts_begin_ns = begin_ns, .ts_end_ns = end_ns, .known = BAR_KNOWS_VALUE | BAR_KNOWS_TRADES};
    for (uint32_t i = 0; i < n; i++) {
        bar.known |= BAR_PX;
        bar.open  = t[0].px;
        bar.high  = i == 0 || t[i].px > bar.high ? t[i].px : bar.high;
        bar.low   = i == 0 || t[i].px < bar.low ? t[i].px : bar.low;
        bar.close = t[i].px;
        bar.qty += t[i].qty;
        bar.value += (i128_t)t[i].px * t[i].qty;
        bar.trades++;
    }
    return bar;
}

static void model_time(int64_t size_ns)
{
    const int64_t first = (int64_t)div_floor(accepted[0].ts_ns, size_ns);
    int64_t       last  = first;
    for (uint32_t i = 0; i < accepted_count; i++) {
        last = max_i64(last, (int64_t)div_floor(accepted[i].ts_ns, size_ns));
    }
    want_count = 0;
    for (int64_t k = first; k <= last; k++) {
        static trade_t in[TRADES_MAX];
        uint32_t       n = 0;
        for (uint32_t i = 0; i < accepted_count; i++) {
            if (div_floor(accepted[i].ts_ns, size_ns) == k) {
                in[n++] = accepted[i];
            }
        }
        want[want_count++] = bar_of(in, n, k * size_ns, (k + 1) * size_ns);
    }
}

static bar_t bar_between(uint32_t from, uint32_t to)
{
    int64_t begin_ns = accepted[from].ts_ns, end_ns = begin_ns;
    for (uint32_t i = from; i < to; i++) {
        begin_ns = min_i64(begin_ns, accepted[i].ts_ns);
        end_ns   = max_i64(end_ns, accepted[i].ts_ns);
    }
    return bar_of(accepted + from, to - from, begin_ns, end_ns);
}

static void model_counted(bar_rule_t rule, i128_t size)
{
    want_count    = 0;
    uint32_t from = 0;
    for (uint32_t to = 1; to <= accepted_count; to++) {
        const bar_t  bar      = bar_between(from, to);
        const i128_t size_now = rule == BAR_TICKS    ? (i128_t)bar.trades
                                : rule == BAR_VOLUME ? bar.qty
                                : bar.value < 0      ? -bar.value
                                                     : bar.value;
        if (size_now >= size || to == accepted_count) { /* the last one may be unfinished */
            want[want_count++] = bar;
            from               = to;
        }
    }
}

/* ---- random streams ---------------------------------------------------------------------------------------------- */
static int64_t take(bars_t *b, int64_t now_ns, int64_t last_ns)
{
    bar_t bar;
    while (bars_next(b, now_ns, &bar) == ERR_OK) {
        assert_true(got_count < BARS_MAX);
        got[got_count++] = bar;
        last_ns          = bar.ts_end_ns;
    }
    return last_ns;
}

static void run(bar_rule_t rule, i128_t size, uint64_t seed)
{
    uint64_t x = seed;
    bars_t   b;
    assert_int_equal(bars_init(&b, rule, size), ERR_OK);
    accepted_count = got_count = 0;
    int64_t  floor_ns = INT64_MIN, clock_ns = (int64_t)(seeded_next(&x) % 100) * MINUTE - 50 * MINUTE;
    uint64_t late = 0;
    for (uint32_t i = 0; i < TRADES_MAX; i++) {
        const uint64_t r = seeded_next(&x);
        clock_ns += r % 50 == 0 ? (int64_t)(seeded_next(&x) % (uint64_t)(5 * MINUTE)) : (int64_t)(r % 3000000000u);
        const trade_t t = {.ts_ns = clock_ns - (r % 7 == 0 ? (int64_t)(seeded_next(&x) % (uint64_t)(2 * MINUTE)) : 0),
                           .px    = (int64_t)(seeded_next(&x) % 2000) - (seed % 3 == 0 ? 1000 : 0),
                           .qty   = 1 + (int64_t)(seeded_next(&x) % 100)};
        if (r % 11 == 0 && accepted_count > 0) { /* the clock closes a bar before the trade does */
            floor_ns = take(&b, clock_ns, floor_ns);
        }
        err_t err = bars_trade(&b, t.ts_ns, t.px, t.qty);
        if (err == ERR_FULL) {
            floor_ns = take(&b, t.ts_ns, floor_ns);
            err      = bars_trade(&b, t.ts_ns, t.px, t.qty);
        }
        const int64_t first_ns =
            rule == BAR_TIME && accepted_count > 0 ? (int64_t)(div_floor(accepted[0].ts_ns, size) * size) : INT64_MIN;
        if (t.ts_ns < max_i64(floor_ns, first_ns)) {
            assert_int_equal(err, ERR_STATE);
            late++;
        } else {
            assert_int_equal(err, ERR_OK);
            accepted[accepted_count++] = t;
        }
    }
    assert_true(b.late == late);
    bar_t open;
    take(&b, INT64_MIN, 0);
    if (bars_open(&b, &open) && (open.known & BAR_PX)) { /* else the clock opened it behind the last trade */
        got[got_count++] = open;
    }
}

static i128_t sum_of(const bar_t *bars, uint32_t n)
{
    i128_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += bars[i].qty * 7 + bars[i].value * 11 + (i128_t)bars[i].trades * 13;
    }
    return sum;
}

static void test_bars_are_those_of_the_model(void **state)
{
    (void)state;
    const uint64_t seed = seeded_seed("bars");
    for (uint64_t round = 0; round < seeded_rounds(12, 300); round++) {
        const int64_t size_ns = INT64_C(1000000000) * (1 + (int64_t)((seed + round) * 7 % 90));
        run(BAR_TIME, size_ns, seed + round);
        model_time(size_ns);
        while (got_count > want_count) { /* empty ones behind the last trade, that the clock closed */
            assert_int_equal(got[--got_count].trades, 0);
        }
        all_same();
        for (bar_rule_t rule = BAR_TICKS; rule <= BAR_VALUE; rule++) {
            const i128_t size = rule == BAR_TICKS ? 7 : rule == BAR_VOLUME ? 333 : 123456;
            run(rule, size, seed + round);
            model_counted(rule, size);
            all_same();
            const bar_t whole = bar_of(accepted, accepted_count, 0, 0);
            assert_true(sum_of(got, got_count) == sum_of(&whole, 1));
        }
    }
}

/* ---- bars of bars ------------------------------------------------------------------------------------------------ */
static void fold_check(bar_rule_t rule, i128_t small, i128_t large, uint64_t seed)
{
    static bar_t direct[BARS_MAX];
    uint64_t     x = seed;
    bars_t       s, l, both;
    assert_int_equal(bars_init(&s, rule, small), ERR_OK);
    assert_int_equal(bars_init(&l, rule, large), ERR_OK);
    assert_int_equal(bars_init(&both, rule, large), ERR_OK);
    uint32_t n = 0, m = 0;
    int64_t  ts_ns = 0;
    bar_t    bar;
    for (uint32_t i = 0; i < TRADES_MAX; i++) {
        ts_ns += (int64_t)(seeded_next(&x) % (uint64_t)(i % 100 == 0 ? 9 * MINUTE : MINUTE / 4));
        const int64_t px = (int64_t)(seeded_next(&x) % 1000), qty = 1 + (int64_t)(seeded_next(&x) % 9);
        while (bars_trade(&l, ts_ns, px, qty) == ERR_FULL) {
            assert_int_equal(bars_next(&l, ts_ns, &direct[n++]), ERR_OK);
        }
        while (bars_trade(&s, ts_ns, px, qty) == ERR_FULL) {
            bar_t part;
            assert_int_equal(bars_next(&s, ts_ns, &part), ERR_OK);
            while (bars_fold(&both, &part) == ERR_FULL) {
                assert_int_equal(bars_next(&both, part.ts_begin_ns, &bar), ERR_OK);
                assert_true(m < n && bar_same(&bar, &direct[m]));
                m++;
            }
        }
    }
    assert_true(n > 50 && m + 2 >= n); /* the last small bars are still open */
    assert_true(both.late == 0);
}

static void test_bars_of_bars_are_bars_of_trades(void **state)
{
    (void)state;
    const uint64_t seed = seeded_seed("fold");
    for (uint64_t round = 0; round < seeded_rounds(5, 100); round++) {
        fold_check(BAR_TIME, MINUTE, 3 * MINUTE, seed + round);
        fold_check(BAR_TICKS, 3, 6, seed + round);
    }
}

/* ---- by hand ----------------------------------------------------------------------------------------------------- */
static void test_bars_time_edges(void **state)
{
    (void)state;
    bars_t b;
    bar_t  bar;
    assert_int_equal(bars_init(&b, BAR_TIME, 100), ERR_OK);
    assert_false(bars_open(&b, &bar));
    assert_int_equal(bars_next(&b, INT64_MAX, &bar), ERR_EMPTY);
    assert_int_equal(bars_trade(&b, -1, 5, 1), ERR_OK); /* before 1970: floor, not towards zero */
    assert_int_equal(bars_trade(&b, 0, 6, 1), ERR_FULL);
    assert_int_equal(bars_next(&b, 0, &bar), ERR_OK);
    assert_true(bar.ts_begin_ns == -100 && bar.ts_end_ns == 0 && bar.trades == 1);
    assert_int_equal(bars_trade(&b, 0, 6, 1), ERR_OK);
    assert_int_equal(bars_trade(&b, 99, 7, 1), ERR_OK);
    assert_int_equal(bars_next(&b, 99, &bar), ERR_EMPTY);
    assert_int_equal(bars_trade(&b, -1, 1, 1), ERR_STATE);
    assert_true(b.late == 1 && strstr(err_msg(), "late") != NULL);
    assert_int_equal(bars_trade(&b, 300, 8, 2), ERR_FULL);
    assert_int_equal(bars_next(&b, 300, &bar), ERR_OK);
    assert_true(bar.trades == 2 && bar.open == 6 && bar.close == 7 && bar.value == 13 && bar.qty == 2);
    for (int64_t at = 100; at < 300; at += 100) { /* silence is told, a price is not invented */
        assert_int_equal(bars_next(&b, 300, &bar), ERR_OK);
        assert_true(bar_same(
            &bar, &(bar_t){.ts_begin_ns = at, .ts_end_ns = at + 100, .known = BAR_KNOWS_VALUE | BAR_KNOWS_TRADES}));
    }
    assert_int_equal(bars_next(&b, 300, &bar), ERR_EMPTY);
    assert_int_equal(bars_trade(&b, 300, 8, 2), ERR_OK);
    assert_true(bars_open(&b, &bar) && bar.ts_begin_ns == 300 && bar.open == 8);
}

static void test_bars_know_what_every_part_knows(void **state)
{
    (void)state;
    bars_t b;
    bar_t  bar;
    assert_int_equal(bars_init(&b, BAR_TIME, 300), ERR_OK);
    bar_t part = {.ts_begin_ns = 0, .ts_end_ns = 100, .open = 2, .high = 4, .low = 1, .close = 3, .qty = 9};
    part.known = BAR_PX | BAR_KNOWS_VALUE;
    part.value = 20;
    assert_int_equal(bars_fold(&b, &part), ERR_OK);
    part.ts_begin_ns = 100;
    part.ts_end_ns   = 200;
    part.known       = BAR_PX | BAR_KNOWS_TRADES;
    part.trades      = 5;
    part.value       = 0;
    assert_int_equal(bars_fold(&b, &part), ERR_OK);
    assert_true(bars_open(&b, &bar));
    assert_true(bar.known == BAR_PX && bar.value == 0 && bar.trades == 0 && bar.qty == 18);
}

static void refused(bars_t *b, const bar_t *part, err_t err, const char *word)
{
    const bars_t before = *b;
    assert_int_equal(bars_fold(b, part), err);
    assert_non_null(strstr(err_msg(), word));
    assert_memory_equal(b, &before, sizeof(before));
}

static void test_bars_refuse(void **state)
{
    (void)state;
    bars_t b;
    memset(&b, 0, sizeof(b));
    assert_int_equal(bars_init(&b, (bar_rule_t)0, 1), ERR_ARG);
    assert_int_equal(bars_init(&b, (bar_rule_t)5, 1), ERR_ARG);
    assert_int_equal(bars_init(&b, BAR_VALUE, 0), ERR_ARG);
    assert_int_equal(bars_init(&b, BAR_TIME, (i128_t)INT64_MAX + 1), ERR_ARG);
    assert_int_equal(bars_init(&b, BAR_VALUE, (i128_t)INT64_MAX + 1), ERR_OK);
    assert_int_equal(bars_trade(&b, 1, 1, 0), ERR_ARG);
    refused(&b, &(bar_t){.known = BAR_PX, .qty = 1}, ERR_ARG, "value");

    assert_int_equal(bars_init(&b, BAR_TICKS, 5), ERR_OK);
    refused(&b, &(bar_t){.known = BAR_PX | BAR_KNOWS_VALUE, .qty = 1}, ERR_ARG, "number of trades");
    refused(&b, &(bar_t){.known = BAR_KNOWS_TRADES, .qty = 1}, ERR_ARG, "no price");
    refused(&b, &(bar_t){.known = BAR_PX, .qty = -1}, ERR_ARG, "negative");
    refused(&b, &(bar_t){.ts_begin_ns = 1}, ERR_ARG, "before it begins");
    assert_int_equal(bars_trade(&b, 1, INT64_MIN, INT64_MAX), ERR_OK);
    assert_int_equal(bars_trade(&b, 1, INT64_MIN, INT64_MAX), ERR_OK);
    const bars_t before = b;
    assert_int_equal(bars_trade(&b, 1, INT64_MIN, INT64_MAX), ERR_RANGE); /* 3 x 2^126 does not fit */
    assert_memory_equal(&b, &before, sizeof(before));

    assert_int_equal(bars_init(&b, BAR_TIME, 90), ERR_OK);
    refused(&b, &(bar_t){.ts_begin_ns = 60, .ts_end_ns = 120, .known = BAR_PX}, ERR_ARG, "within");
    refused(&b, &(bar_t){.ts_begin_ns = INT64_MAX, .ts_end_ns = INT64_MAX}, ERR_RANGE, "64 bits");
    refused(&b, &(bar_t){.ts_begin_ns = INT64_MIN, .ts_end_ns = INT64_MIN}, ERR_RANGE, "64 bits");
    assert_int_equal(bars_trade(&b, INT64_MAX - 90, 1, 1), ERR_OK); /* the last interval there is: it stays open */
    bar_t bar;
    assert_int_equal(bars_next(&b, INT64_MAX, &bar), ERR_EMPTY);
    assert_int_equal(bars_trade(&b, INT64_MAX, 1, 1), ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bars_are_those_of_the_model),
        cmocka_unit_test(test_bars_of_bars_are_bars_of_trades),
        cmocka_unit_test(test_bars_time_edges),
        cmocka_unit_test(test_bars_know_what_every_part_knows),
        cmocka_unit_test(test_bars_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
