/* indicators: what is checked here
 *
 *  1. every number, at every bar of random walks, against another formula in long double: closed sums with the weights
 *     (1 - a)^k instead of recursion, variances as mean of squares less square of mean; unknown exactly when it must be
 *  2. the published RSI, ATR and Bollinger values of a recorded index, digit for digit (HWAL_SHARED; without it exit 77)
 *  3. series and one by one agree to the bit; a copy of the state goes on as the original does
 *  4. by hand: a flat line, a rising line, no volume, closes that have no logarithm, a middle of 0
 *  5. what is refused changes nothing
 *
 * Random walks print their seed; HWAL_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <isa-l/igzip_lib.h>
#include <jansson.h>
#include <math.h>

#include "core/analytics/indicators.h"
#include "tests/lib/seeded.h"

#define BARS 260

static indicators_bar_t   bars[BARS];
static indicators_value_t values[BARS];
static bool               skipped;

static void near(double value, long double want, int line)
{
    const bool unknown = isnan(want);
    if (isnan(value) != unknown || (!unknown && fabsl(value - want) > 1e-9L * (1 + fabsl(want)))) {
        fail_msg("line %d: %.17g, want %.17Lg", line, value, want);
    }
}
#define NEAR(value, want) near((value), (want), __LINE__)

/* ---- the other formulas; i is the index of the bar, so i + 1 bars are known -------------------------------------- */
static long double mean_closes(int i, int n)
{
    long double sum = 0;
    for (int k = i - n + 1; k <= i; k++) {
        sum += k >= 0 ? bars[k].close : 0;
    }
    return i + 1 >= n ? sum / n : NAN;
}

static long double ema_closes(int i, int span)
{
    const long double a   = 2.0L / (span + 1);
    long double       sum = powl(1 - a, i) * bars[0].close;
    for (int k = 1; k <= i; k++) {
        sum += a * powl(1 - a, i - k) * bars[k].close;
    }
    return sum;
}

static long double signal_line(int i)
{
    const long double a   = 0.2L;
    long double       sum = 0;
    for (int k = 0; k <= i; k++) {
        sum += (k == 0 ? 1 : a) * powl(1 - a, i - k) * (ema_closes(k, 12) - ema_closes(k, 26));
    }
    return sum;
}

static long double gain_at(int k)
{
    return fmaxl((long double)bars[k].close - bars[k - 1].close, 0);
}
static long double loss_at(int k)
{
    return fmaxl((long double)bars[k - 1].close - bars[k].close, 0);
}
static long double range_at(int k) /* from the highest to the lowest of three points */
{
    return fmaxl(bars[k].high, bars[k - 1].close) - fminl(bars[k].low, bars[k - 1].close);
}

/* Wilder's average unrolled: the first 14 weigh 1/14 of (13/14)^(i - 14), a later one 1/14 of (13/14)^(i - k). */
static long double wilder_of(long double (*at)(int), int i)
{
    long double sum = 0;
    for (int k = 1; k <= i; k++) {
        sum += at(k) / 14 * powl(13.0L / 14, k <= 14 ? i - 14 : i - k);
    }
    return sum;
}

static void check_trend(int i, const indicators_value_t *v)
{
    NEAR(v->sma20, mean_closes(i, 20));
    NEAR(v->sma50, mean_closes(i, 50));
    NEAR(v->sma200, mean_closes(i, 200));
    NEAR(v->ema12, i + 1 >= 12 ? ema_closes(i, 12) : NAN);
    NEAR(v->ema26, i + 1 >= 26 ? ema_closes(i, 26) : NAN);
    const long double macd = i + 1 >= 35 ? ema_closes(i, 12) - ema_closes(i, 26) : NAN;
    NEAR(v->macd, macd);
    if (i < 50 || i % 30 == 0) { /* its sum of sums is slow */
        const long double signal = i + 1 >= 35 ? signal_line(i) : NAN;
        NEAR(v->macd_signal, signal);
        NEAR(v->macd_hist, macd - signal);
    }
}

static void check_spread(int i, const indicators_value_t *v)
{
    if (i + 1 < 20) {
        assert_true(isnan(v->bb_upper) && isnan(v->bb_middle) && isnan(v->bb_lower) && isnan(v->bb_width));
        assert_true(isnan(v->volume_ratio) && isnan(v->hist_vol20));
        return;
    }
    long double squares = 0, volume = 0, logs = 0, log_squares = 0;
    for (int k = i - 19; k <= i; k++) {
        squares += (long double)bars[k].close * bars[k].close;
        volume += bars[k].volume;
    }
    const long double middle = mean_closes(i, 20), deviation = sqrtl(squares / 20 - middle * middle);
    NEAR(v->bb_middle, middle);
    NEAR(v->bb_upper, middle + 2 * deviation);
    NEAR(v->bb_lower, middle - 2 * deviation);
    NEAR(v->bb_width, 4 * deviation / middle);
    NEAR(v->volume_ratio, bars[i].volume * 20 / volume);
    for (int k = i - 19; k <= i && i + 1 >= 21; k++) {
        const long double r = logl(bars[k].close) - logl(bars[k - 1].close);
        logs += r;
        log_squares += r * r;
    }
    NEAR(v->hist_vol20, i + 1 >= 21 ? sqrtl((log_squares - logs * logs / 20) / 19 * 252) : NAN);
}

static void check_wilder(int i, const indicators_value_t *v)
{
    const long double gain = wilder_of(gain_at, i), loss = wilder_of(loss_at, i);
    NEAR(v->rsi14, i + 1 >= 15 ? 100 * gain / (gain + loss) : NAN);
    NEAR(v->atr14, i + 1 >= 15 ? wilder_of(range_at, i) : NAN);
}

static void walk(uint64_t seed)
{
    uint64_t x     = seed;
    double   close = 50 + (double)(seeded_next(&x) % 1000);
    for (int i = 0; i < BARS; i++) {
        close *= 0.95 + (double)(seeded_next(&x) % 1000) / 9990;
        bars[i].close  = close;
        bars[i].high   = close * (1 + (double)(seeded_next(&x) % 100) / 2000);
        bars[i].low    = close * (1 - (double)(seeded_next(&x) % 100) / 2000);
        bars[i].volume = (double)(1 + seeded_next(&x) % 100000);
    }
}

static void test_indicators_by_another_formula(void **state)
{
    (void)state;
    const uint64_t seed = seeded_seed("indicators");
    for (uint64_t round = 0; round < seeded_rounds(3, 50); round++) {
        walk(seed + round);
        assert_int_equal(indicators_series(bars, BARS, values), ERR_OK);
        for (int i = 0; i < BARS; i++) {
            check_trend(i, &values[i]);
            check_spread(i, &values[i]);
            check_wilder(i, &values[i]);
        }
    }
}

/* ---- published values of a recorded index, in the files of the shared data ---------------------------------------- */
static char  text[1 << 20];
static char *shared_path(const char *file)
{
    static char path[512];
    const char *shared = getenv("HWAL_SHARED");
    (void)snprintf(path, sizeof(path), "%s/data/equities/%s", shared ? shared : "../shared", file);
    return path;
}

/* Rows of a gzip CSV with a head: date, open, high, low, close, volume, ... into bars; how many. */
static int index_read(const char *path)
{
    static uint8_t packed[1 << 18];
    FILE *const    f = fopen(path, "rb");
    assert_non_null(f);
    struct inflate_state z;
    isal_inflate_init(&z);
    z.crc_flag  = ISAL_GZIP;
    z.next_in   = packed;
    z.avail_in  = (uint32_t)fread(packed, 1, sizeof(packed), f);
    z.next_out  = (uint8_t *)text;
    z.avail_out = sizeof(text) - 1;
    (void)fclose(f);
    assert_int_equal(isal_inflate(&z), 0);
    int   n    = 0;
    char *line = strchr(text, '\n');
    while (line && line[1] && n < BARS) {
        double open;
        assert_int_equal(sscanf(line + 1, "%*[^,],%lf,%lf,%lf,%lf,%lf", &open, &bars[n].high, &bars[n].low,
                                &bars[n].close, &bars[n].volume),
                         5);
        n++;
        line = strchr(line + 1, '\n');
    }
    return n;
}

/* The three check points of a line of an indicator: the last bar, the first with a value, one between. */
static void published(const json_t *all, const char *name, size_t line, int n, const double *first, size_t stride)
{
    const json_t *one  = json_object_get(all, name);
    const int     min  = (int)json_integer_value(json_object_get(one, "minimum_period"));
    const json_t *want = json_array_get(json_object_get(one, "values"), line);
    /* floor((min - n) / 2) back from the last; C rounds to zero */
    const int at[] = {n - 1, min - 1, n - 1 - (n - min + 1) / 2};
    assert_int_equal(json_array_size(want), 3);
    for (size_t i = 0; i < 3; i++) {
        char ours[32];
        (void)snprintf(ours, sizeof(ours), "%.6f", first[(size_t)at[i] * stride]);
        if (strcmp(ours, json_string_value(json_array_get(want, i))) != 0) {
            fail_msg("%s line %zu point %zu: %s, published %s", name, line, i, ours,
                     json_string_value(json_array_get(want, i)));
        }
    }
}

static void test_indicators_as_published(void **state)
{
    (void)state;
    json_t *expected = json_load_file(shared_path("expected.json"), 0, NULL);
    if (!expected) {
        printf("SKIP indicators: no %s (set HWAL_SHARED)\n", shared_path("expected.json"));
        skipped = true;
        skip();
    }
    const json_t *index = json_object_get(expected, "index_2006"), *all = json_object_get(index, "indicators");
    const int     n = index_read(shared_path("index_2006_daily_backtrader.csv.gz"));
    assert_int_equal(n, json_integer_value(json_object_get(index, "bars")));
    assert_int_equal(indicators_series(bars, (size_t)n, values), ERR_OK);
    const size_t stride = sizeof(values[0]) / sizeof(double);
    published(all, "RSI(14), Wilder smoothing seeded with simple mean", 0, n, &values[0].rsi14, stride);
    published(all, "ATR(14), Wilder smoothing", 0, n, &values[0].atr14, stride);
    published(all, "Bollinger(20,2) mid/top/bottom, population deviation", 0, n, &values[0].bb_middle, stride);
    published(all, "Bollinger(20,2) mid/top/bottom, population deviation", 1, n, &values[0].bb_upper, stride);
    published(all, "Bollinger(20,2) mid/top/bottom, population deviation", 2, n, &values[0].bb_lower, stride);
    json_decref(expected);
}

static void test_indicators_one_by_one_is_the_series(void **state)
{
    (void)state;
    walk(seeded_seed("one by one"));
    assert_int_equal(indicators_series(bars, BARS, values), ERR_OK);
    indicators_t       ind = {0};
    indicators_value_t v;
    for (int i = 0; i < BARS; i++) {
        const indicators_t copy = ind; /* all there is: what went before is not needed */
        memset(&ind, 0xa5, sizeof(ind));
        ind = copy;
        assert_int_equal(indicators_add(&ind, &bars[i], &v), ERR_OK);
        assert_memory_equal(&v, &values[i], sizeof(v));
    }
}

static indicators_value_t after(double first, double step, double volume, int n)
{
    indicators_t       ind = {0};
    indicators_value_t v   = {0};
    for (int i = 0; i < n; i++) {
        const double           close = first + step * i;
        const indicators_bar_t bar   = {close + 1, close - 1, close, volume};
        assert_int_equal(indicators_add(&ind, &bar, &v), ERR_OK);
    }
    return v;
}

static void test_indicators_by_hand(void **state)
{
    (void)state;
    const indicators_value_t flat = after(100, 0, 5, 210);
    assert_true(flat.rsi14 == 100 && flat.sma200 == 100 && flat.ema12 == 100 && flat.macd == 0);
    assert_true(flat.bb_upper == 100 && flat.bb_width == 0 && flat.atr14 == 2 && flat.volume_ratio == 1);
    assert_true(flat.hist_vol20 == 0);
    const indicators_value_t falling = after(1000, -1, 0, 40);
    assert_true(falling.rsi14 == 0 && falling.sma20 == 1000 - 29.5 && fabs(falling.atr14 - 2) < 1e-12);
    assert_true(isnan(falling.volume_ratio) && falling.macd < 0);
    assert_true(isnan(after(20, -1, 1, 21).hist_vol20)); /* the last close is 0 */
    assert_true(isnan(after(-19, 2, 1, 20).bb_width));   /* the middle is 0 */
    assert_true(after(-19, 2, 1, 20).bb_middle == 0);
}

static void test_indicators_refuse(void **state)
{
    (void)state;
    const indicators_bar_t bad[] = {{NAN, 1, 1, 1}, {1, NAN, 1, 1}, {1, 1, INFINITY, 1},
                                    {1, 1, 1, NAN}, {1, 1, 1, -1},  {1, 1.5, 1, 1}};
    indicators_t           ind   = {0};
    indicators_value_t     v;
    assert_int_equal(indicators_add(&ind, &(indicators_bar_t){2, 1, 1, 1}, &v), ERR_OK);
    const indicators_t before = ind;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(indicators_add(&ind, &bad[i], &v), ERR_ARG);
        assert_non_null(strstr(err_msg(), "bar 1"));
        assert_memory_equal(&ind, &before, sizeof(ind));
    }
    walk(1);
    bars[7].volume = -3;
    assert_int_equal(indicators_series(bars, BARS, values), ERR_ARG);
    assert_non_null(strstr(err_msg(), "bar 7"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_indicators_by_another_formula),
        cmocka_unit_test(test_indicators_as_published),
        cmocka_unit_test(test_indicators_one_by_one_is_the_series),
        cmocka_unit_test(test_indicators_by_hand),
        cmocka_unit_test(test_indicators_refuse),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? failed : skipped ? 77 : 0;
}
