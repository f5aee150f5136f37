/* replay_bars: what is checked here
 *
 *  1. the text of a rule: every kind, every unit, the instrument's scales, sizes beyond 64 bits; each refusal and its words
 *  2. random trades, late ones and ones without a quantity among them: each bar is that of all taken trades grouped afresh,
 *     and number, quantity and value add up; for time bars, empty intervals too
 *  3. CSV by hand, times, JSON; more bars than the limit are refused
 *
 * Random flows print their seed; HWAL_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/types/time.h"
#include "tests/lib/seeded.h"
#include "tools/replay_bars.h"

static instrument_t ins;

static void rule_is(const char *given, bar_rule_t rule, i128_t size)
{
    bar_rule_t got = 0;
    i128_t     n   = 0;
    if (replay_bars_rule(given, &ins, &got, &n) != ERR_OK || got != rule || n != size) {
        fail_msg("%s: rule %d, size %g: %s", given, (int)got, (double)n, err_msg());
    }
}

static void rule_bad(const char *given, err_t want, const char *says)
{
    bar_rule_t  got;
    i128_t      n;
    const err_t err = replay_bars_rule(given, &ins, &got, &n);
    if (err != want || !strstr(err_msg(), says) || !strstr(err_msg(), given)) {
        fail_msg("%s: %s \"%s\"", given, err_str(err), err_msg());
    }
}

static void test_replay_bars_rules(void **state)
{
    (void)state;
    rule_is("time:60s", BAR_TIME, 60 * NS_PER_S);
    rule_is("time:5m", BAR_TIME, 300 * NS_PER_S);
    rule_is("time:2h", BAR_TIME, 7200 * NS_PER_S);
    rule_is("time:1d", BAR_TIME, NS_PER_DAY);
    rule_is("ticks:1000", BAR_TICKS, 1000);
    rule_is("volume:10.5", BAR_VOLUME, 10500);
    rule_is("value:1000000", BAR_VALUE, 100000000000);
    rule_is("value:9223372036854775807", BAR_VALUE, (i128_t)INT64_MAX * 100000);
    static const char *const parse[] = {"",        "time",      "time:",   "time:s",  "time:1",
                                        "time:1x", "time:1.5m", "ticks:x", "volume:", "hours:1"};
    for (size_t i = 0; i < sizeof parse / sizeof parse[0]; i++) {
        rule_bad(parse[i], i == 6 ? ERR_SCALE : ERR_PARSE, "--bars");
    }
    rule_bad("volume:0.0001", ERR_SCALE, "finer");
    rule_bad("value:92233720368547758080", ERR_RANGE, "large");
    rule_bad("time:0s", ERR_ARG, "size");
    rule_bad("time:9223372036854775807d", ERR_ARG, "size");
    rule_bad("ticks:-1", ERR_ARG, "size");
}

/* ---- against all trades grouped afresh --------------------------------------------------------------------------- */
typedef struct tape {
    int64_t ts_ns, px, qty;
} tape_t;

#define TICKS 500
static tape_t ticks[TICKS];
static size_t tick_count; /* the taken ones */

static i128_t measure(bar_rule_t rule, const tape_t *t)
{
    return rule == BAR_TICKS ? 1 : rule == BAR_VOLUME ? t->qty : mul_i64(t->px, t->qty);
}

static void bar_is(const bar_t *bar, size_t from, size_t to)
{
    i128_t  qty = 0, value = 0;
    int64_t high = INT64_MIN, low = INT64_MAX;
    for (size_t i = from; i < to; i++) {
        qty += ticks[i].qty;
        value += mul_i64(ticks[i].px, ticks[i].qty);
        high = max_i64(high, ticks[i].px);
        low  = min_i64(low, ticks[i].px);
    }
    assert_true(bar->trades == to - from && bar->qty == qty && bar->value == value);
    assert_int_equal(!!(bar->known & BAR_PX), to > from);
    if (to > from) {
        assert_true(bar->open == ticks[from].px && bar->close == ticks[to - 1].px);
        assert_true(bar->high == high && bar->low == low);
    }
}

static void series_is(const bar_series_t *s, bar_rule_t rule, i128_t size)
{
    size_t from = 0;
    for (size_t i = 0; i < s->count; i++) {
        size_t to  = from;
        i128_t sum = 0;
        if (rule == BAR_TIME) {
            while (to < tick_count && ticks[to].ts_ns < s->list[i].ts_end_ns) {
                to++;
            }
            assert_true(s->list[i].ts_end_ns - s->list[i].ts_begin_ns == size && s->list[i].ts_begin_ns % size == 0);
            assert_true(i == 0 || s->list[i].ts_begin_ns == s->list[i - 1].ts_end_ns);
        } else {
            while (to < tick_count && sum < size) {
                sum += measure(rule, &ticks[to++]);
            }
        }
        bar_is(&s->list[i], from, to);
        from = to;
    }
    assert_int_equal(from, tick_count);
}

static void test_replay_bars_are_the_trades(void **state)
{
    (void)state;
    static const char *const rules[] = {"time:1s", "ticks:7", "volume:0.050", "value:30"};
    uint64_t                 x       = seeded_seed("replay bars");
    for (uint64_t round = 0; round < seeded_rounds(40, 2000); round++) {
        bar_series_t s;
        bar_rule_t   rule;
        i128_t       size;
        assert_int_equal(replay_bars_rule(rules[round % 4], &ins, &rule, &size), ERR_OK);
        assert_int_equal(replay_bars_open(&s, rules[round % 4], &ins), ERR_OK);
        int64_t  now_ns = INT64_C(1700000000) * NS_PER_S;
        uint64_t late = 0, refused = 0;
        tick_count = 0;
        for (int i = 0; i < TICKS; i++) {
            const uint64_t kind = seeded_next(&x) % 50;
            now_ns += kind == 0 ? 5 * NS_PER_S : (int64_t)(seeded_next(&x) % (NS_PER_S / 4));
            tape_t t = {now_ns, 60000 + (int64_t)(seeded_next(&x) % 100), 1 + (int64_t)(seeded_next(&x) % 20)};
            t.qty    = kind == 1 ? 0 : t.qty;
            t.ts_ns  = kind == 2 ? INT64_C(1600000000) * NS_PER_S : t.ts_ns;
            const uint64_t late_before = s.bars.late;
            assert_int_equal(replay_bars_trade(&s, t.ts_ns, t.px, t.qty), ERR_OK);
            refused += kind == 1;
            late += s.bars.late - late_before;
            if (kind != 1 && s.bars.late == late_before) {
                ticks[tick_count++] = t;
            }
        }
        assert_int_equal(replay_bars_end(&s), ERR_OK);
        assert_true(s.trades == TICKS && s.taken == tick_count && s.refused == refused && s.bars.late == late);
        assert_true(late > 0 && s.taken + refused + late == TICKS);
        series_is(&s, rule, size);
        replay_bars_free(&s);
    }
}

/* ---- what comes out ---------------------------------------------------------------------------------------------- */
static void test_replay_bars_csv(void **state)
{
    (void)state;
    bar_series_t s;
    char         out[2048] = {0};
    assert_int_equal(replay_bars_open(&s, "time:60s", &ins), ERR_OK);
    assert_int_equal(replay_bars_trade(&s, NS_PER_S, 10050, 1500), ERR_OK);
    assert_int_equal(replay_bars_trade(&s, 2 * NS_PER_S, 10025, 1), ERR_OK);
    assert_int_equal(replay_bars_trade(&s, 130 * NS_PER_S, 10100, 2), ERR_OK);
    assert_int_equal(replay_bars_end(&s), ERR_OK);
    FILE *to = fmemopen(out, sizeof out, "w");
    replay_bars_csv(to, &s, "spot", true);
    assert_int_equal(fclose(to), 0);
    assert_string_equal(
        out, "symbol,market,begin,end,open,high,low,close,volume,value,trades,complete\n"
             "X,spot,1970-01-01T00:00:00Z,1970-01-01T00:01:00Z,100.50,100.50,100.25,100.25,1.501,150.85025,2,1\n"
             "X,spot,1970-01-01T00:01:00Z,1970-01-01T00:02:00Z,,,,,0.000,0.00000,0,1\n"
             "X,spot,1970-01-01T00:02:00Z,1970-01-01T00:03:00Z,101.00,101.00,101.00,101.00,0.002,0.20200,1,0\n");
    json_t *o = replay_bars_json(&s);
    assert_int_equal(json_integer_value(json_object_get(o, "count")), 3);
    assert_int_equal(json_integer_value(json_object_get(o, "complete")), 2);
    assert_string_equal(json_string_value(json_object_get(o, "volume")), "1.503");
    assert_string_equal(json_string_value(json_object_get(o, "value")), "151.05225");
    json_decref(o);
    s.bars.state = 0; /* ended: what follows looks at the sums alone */
    assert_int_equal(replay_bars_end(&s), ERR_OK);
    for (int which = 0; which < 4; which++) { /* a bar that lost count is found */
        const bar_series_t good = s;
        const bar_t        bar  = s.list[0];
        s.list[0].qty += which == 0;
        s.list[0].value += which == 1;
        s.list[0].trades += which == 2;
        s.refused += which == 3;
        assert_int_equal(replay_bars_end(&s), ERR_INTERNAL);
        s         = good;
        s.list[0] = bar;
    }
    replay_bars_free(&s);
    char when[REPLAY_BARS_TIME];
    replay_bars_time(-1, when);
    assert_string_equal(when, "1969-12-31T23:59:59.999999999Z");
}

static void test_replay_bars_end_somewhere(void **state)
{
    (void)state;
    bar_series_t s;
    assert_int_equal(replay_bars_open(&s, "time:1s", &ins), ERR_OK);
    assert_int_equal(replay_bars_trade(&s, NS_PER_S, 1, 1), ERR_OK);
    assert_int_equal(replay_bars_trade(&s, ((int64_t)REPLAY_BARS_MAX + 2) * NS_PER_S, 1, 1), ERR_LIMIT);
    assert_non_null(strstr(err_msg(), "4194304 bars of X"));
    replay_bars_free(&s);
}

int main(void)
{
    const instrument_def_t def  = {.instrument_id = 1,
                                   .kind          = INSTRUMENT_SPOT,
                                   .px_exp        = 2,
                                   .qty_exp       = 3,
                                   .money_exp     = 5,
                                   .settle_ccy    = ccy_pack("USD"),
                                   .lot           = 1,
                                   .mult          = 1};
    const tick_band_t      band = {.px_from = 0, .tick = 1};
    if (instrument_init(&ins, &def, "X", &band, 1) != ERR_OK) {
        printf("%s\n", err_msg());
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_bars_rules),
        cmocka_unit_test(test_replay_bars_are_the_trades),
        cmocka_unit_test(test_replay_bars_csv),
        cmocka_unit_test(test_replay_bars_end_somewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
