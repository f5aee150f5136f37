/* quality: what is checked here
 *
 *  1. a clean series has no finding; each rule by hand: at its limit, one step beyond it, with value and limit
 *  2. random series with planted faults against a slow model that asks each rule of each bar by itself
 *  3. bars without a price, the first bar, extreme prices; room for fewer findings; limits that are refused
 *  4. trades: each rule at its limit and beyond, counted by rule; random tapes against the rules asked anew of all that
 *     came before
 *
 * Random series print their seed; HWAL_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "core/analytics/quality.h"
#include "tests/lib/seeded.h"

#define MINUTE INT64_C(60000000000)
#define BARS 40
#define ROOM (BARS * QUALITY_RULES)

static bar_t             bars[BARS];
static quality_finding_t findings[ROOM];
static size_t            count;

static void clean(void)
{
    for (int i = 0; i < BARS; i++) {
        const int64_t px = 10000 + i % 5;
        bars[i] = (bar_t){.ts_begin_ns = (i + 1) * MINUTE, .ts_end_ns = (i + 2) * MINUTE, .qty = 3, .known = BAR_PX};
        bars[i].open = bars[i].close = px;
        bars[i].high                 = px + 2;
        bars[i].low                  = px - 2;
    }
}

static void check(void)
{
    assert_int_equal(quality_check(bars, BARS, &QUALITY_LIMITS_USUAL, findings, ROOM, &count), ERR_OK);
}

/* Exactly one finding, this one. */
static void only(quality_rule_t rule, size_t index, double value, double limit)
{
    check();
    assert_int_equal(count, 1);
    assert_int_equal(findings[0].rule, rule);
    assert_int_equal(findings[0].index, index);
    assert_true(fabs(findings[0].value - value) <= 1e-12 * fabs(value));
    assert_true(findings[0].limit == limit);
    clean();
}

static void nothing(void)
{
    check();
    assert_int_equal(count, 0);
    clean();
}

static void later(int from, int64_t ns)
{
    for (int i = from; i < BARS; i++) {
        bars[i].ts_begin_ns += ns;
        bars[i].ts_end_ns += ns;
    }
}

static void test_quality_each_rule(void **state)
{
    (void)state;
    clean();
    nothing();
    bars[0].ts_begin_ns = 0;
    only(QUALITY_TS, 0, 0, 0);
    bars[9].ts_end_ns = bars[9].ts_begin_ns;
    nothing();
    bars[9].ts_end_ns = bars[9].ts_begin_ns - 500000000;
    only(QUALITY_TS, 9, 599.5, 600);
    bars[9].ts_begin_ns = bars[8].ts_begin_ns;
    only(QUALITY_ORDER, 9, 540, 540);
    later(9, 4 * MINUTE); /* five minutes from begin to begin */
    nothing();
    later(9, 4 * MINUTE + 1000);
    only(QUALITY_GAP, 9, 300.000001, 300);
    bars[9].low = bars[9].open;
    nothing();
    bars[9].low = bars[9].open + 1;
    only(QUALITY_LOW, 9, 10005, 10004);
    bars[9].high = bars[9].close - 1;
    only(QUALITY_HIGH, 9, 10003, 10004);
    bars[9].open += 3; /* above the high though the close is not */
    only(QUALITY_HIGH, 9, 10006, 10007);
    bars[9].low = 0;
    only(QUALITY_PX, 9, 0, 0);
    bars[9].qty = -4;
    only(QUALITY_QTY, 9, -4, 0);
    bars[9].qty = 0;
    nothing();
}

/* Two halves far apart: no close is more than one deviation from the mean, so the step alone is found. */
static void halves(int64_t second)
{
    for (int i = 0; i < BARS; i++) {
        const int64_t px = i < BARS / 2 ? 10000 : second;
        bars[i].open = bars[i].high = bars[i].low = bars[i].close = px;
    }
}

static void test_quality_change_and_deviation(void **state)
{
    (void)state;
    clean();
    halves(14999);
    nothing();
    halves(15000);
    only(QUALITY_CHANGE, BARS / 2, 0.5, 0.5);
    halves(5001);
    nothing();
    halves(5000);
    only(QUALITY_CHANGE, BARS / 2, 0.5, 0.5);
    /* a close of 0 is nothing to compare with: the next one is measured against the last that is above 0 */
    halves(15000);
    bars[BARS / 2 - 1].low = bars[BARS / 2 - 1].close = 0;
    check();
    assert_int_equal(findings[count - 1].rule, QUALITY_CHANGE);
    assert_int_equal(findings[count - 1].index, BARS / 2);
    assert_true(findings[count - 1].value == 0.5);
    /* one of n equal closes apart is (n - 1) / sqrt(n - 1) deviations off: 6.2 of 40 */
    halves(10000);
    bars[20].open = bars[20].high = bars[20].low = bars[20].close = 10001;
    only(QUALITY_Z, 20, sqrt(BARS - 1), 3);
    /* four of 40 apart: sqrt(36 / 4) = 3 deviations, not more than 3 */
    halves(10000);
    for (int i = 0; i < 4; i++) {
        bars[5 * i + 5].open = bars[5 * i + 5].high = bars[5 * i + 5].low = bars[5 * i + 5].close = 11000;
    }
    nothing();
}

static void test_quality_bars_without_price(void **state)
{
    (void)state;
    clean();
    for (int i = 5; i < 9; i++) { /* zeros, as bars tells silence */
        bars[i] = (bar_t){.ts_begin_ns = bars[i].ts_begin_ns, .ts_end_ns = bars[i].ts_end_ns};
    }
    nothing();
    bars[3].open = bars[3].low = INT64_MIN; /* no arithmetic that wraps */
    bars[3].high = bars[3].close = INT64_MAX;
    check();
    assert_int_equal(count, 4);
    static const quality_rule_t want[] = {QUALITY_PX, QUALITY_CHANGE, QUALITY_Z, QUALITY_CHANGE};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(findings[i].rule, want[i]);
        assert_int_equal(findings[i].index, i < 3 ? 3 : 4);
    }
}

static void test_quality_room_and_limits(void **state)
{
    (void)state;
    clean();
    for (int i = 0; i < BARS; i++) {
        bars[i].qty = -1 - i;
    }
    memset(findings, 0, sizeof(findings));
    assert_int_equal(quality_check(bars, BARS, &QUALITY_LIMITS_USUAL, findings, 3, &count), ERR_LIMIT);
    assert_true(count == BARS && findings[2].value == -3 && findings[3].rule == 0);
    assert_non_null(strstr(err_msg(), "40 findings, room for 3"));
    assert_int_equal(quality_check(bars, 0, &QUALITY_LIMITS_USUAL, NULL, 0, &count), ERR_OK);
    assert_int_equal(count, 0);
    const quality_limits_t bad[] = {{0, 3, 1}, {0.5, NAN, 1}, {0.5, 3, 0}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(quality_check(bars, BARS, &bad[i], findings, ROOM, &count), ERR_ARG);
    }
    assert_string_equal(quality_rule_str(QUALITY_TS), "TS");
    assert_string_equal(quality_rule_str(QUALITY_GAP), "GAP");
    assert_string_equal(quality_rule_str(QUALITY_Z), "Z");
    assert_string_equal(quality_rule_str(QUALITY_RULES), "?");
}

/* ---- the slow model: does bar i break the rule? ------------------------------------------------------------------ */
static bool breaks(quality_rule_t rule, int i, long double mean, long double deviation)
{
    const bar_t  *b      = &bars[i];
    const int64_t px[4]  = {b->open, b->high, b->low, b->close};
    const int64_t step   = i > 0 ? b->ts_begin_ns - bars[i - 1].ts_begin_ns : 1;
    int64_t       before = 0;
    for (int k = 0; k < i; k++) {
        before = bars[k].close > 0 ? bars[k].close : before;
    }
    bool zero = false;
    for (int k = 0; k < 4; k++) {
        zero = zero || px[k] <= 0;
    }
    switch (rule) {
    case QUALITY_TS: return b->ts_begin_ns <= 0 || b->ts_end_ns < b->ts_begin_ns;
    case QUALITY_ORDER: return step <= 0;
    case QUALITY_GAP: return step > 5 * MINUTE;
    case QUALITY_PX: return zero;
    case QUALITY_LOW: return b->low > b->open || b->low > b->close;
    case QUALITY_HIGH: return b->high < b->open || b->high < b->close;
    case QUALITY_QTY: return b->qty < 0;
    case QUALITY_CHANGE: return before > 0 && (b->close * 2 >= before * 3 || b->close * 2 <= before);
    default: return deviation > 0 && fabsl((long double)b->close - mean) > 3 * deviation;
    }
}

static void test_quality_is_that_of_the_model(void **state)
{
    (void)state;
    uint64_t x = seeded_seed("quality"), total = 0;
    for (uint64_t round = 0; round < seeded_rounds(300, 20000); round++) {
        clean();
        for (int n = 0; n < 6; n++) {
            bar_t        *b     = &bars[seeded_next(&x) % BARS];
            int64_t      *at[]  = {&b->ts_begin_ns, &b->ts_end_ns, &b->open, &b->high, &b->low, &b->close};
            const size_t  which = seeded_next(&x) % 7;
            const int64_t shift = (int64_t)(seeded_next(&x) % 30001) - 15000;
            if (which == 6) {
                b->qty += shift;
            } else {
                *at[which] += which < 2 ? shift * MINUTE / 1000 : shift;
            }
        }
        long double sum = 0, squares = 0;
        for (int i = 0; i < BARS; i++) {
            sum += bars[i].close;
            squares += (long double)bars[i].close * bars[i].close;
        }
        const long double mean = sum / BARS, deviation = sqrtl(squares / BARS - mean * mean);
        check();
        size_t at = 0;
        for (int i = 0; i < BARS; i++) {
            for (quality_rule_t rule = QUALITY_TS; rule < QUALITY_RULES; rule++) {
                if (breaks(rule, i, mean, deviation)) {
                    assert_true(at < count && findings[at].rule == rule && findings[at].index == (size_t)i);
                    at++;
                }
            }
        }
        assert_int_equal(at, count);
        total += count;
    }
    assert_true(total > 300);
}

/* ---- trades ------------------------------------------------------------------------------------------------------ */
#define BIT(rule) (1u << QUALITY_##rule)

static uint32_t trade(quality_tape_t *tape, int64_t ts_ns, int64_t px, int64_t qty)
{
    return quality_trade(tape, &QUALITY_LIMITS_USUAL, ts_ns, px, qty);
}

static void test_quality_trades_by_hand(void **state)
{
    (void)state;
    quality_tape_t t = {0};
    assert_int_equal(trade(&t, 0, 100, 1), BIT(TS));
    assert_int_equal(trade(&t, 1000, 100, 1), 0); /* a time that is none is not compared with */
    assert_int_equal(trade(&t, 1000, 149, 1), 0); /* the same instant is usual */
    assert_int_equal(trade(&t, 999, 149, 1), BIT(ORDER));
    assert_int_equal(trade(&t, 999 + 5 * MINUTE, 149, 1), 0);
    assert_int_equal(trade(&t, 1000 + 10 * MINUTE, 149, 1), BIT(GAP));
    assert_int_equal(trade(&t, 1001 + 10 * MINUTE, 0, 1), BIT(PX) | BIT(CHANGE));
    assert_int_equal(trade(&t, 1002 + 10 * MINUTE, 223, 0), BIT(QTY)); /* against 149, the last price above 0 */
    assert_int_equal(trade(&t, 1003 + 10 * MINUTE, 335, 1), BIT(CHANGE));
    assert_int_equal(trade(&t, 1003 + 10 * MINUTE, 168, 1), 0); /* 49.9 % less */
    assert_int_equal(trade(&t, 1003 + 10 * MINUTE, 84, 1), BIT(CHANGE));
    assert_int_equal(trade(&t, INT64_MAX, INT64_MAX, INT64_MAX), BIT(GAP) | BIT(CHANGE));
    assert_int_equal(trade(&t, INT64_MIN, INT64_MIN, INT64_MIN), BIT(TS) | BIT(PX) | BIT(QTY) | BIT(CHANGE));
    static const uint64_t want[QUALITY_RULES] = {0, 2, 1, 2, 2, 0, 0, 2, 5, 0};
    assert_memory_equal(t.findings, want, sizeof(want));
    assert_true(t.trades == 13 && t.bad == 9);
}

static void test_quality_trades_are_those_of_the_model(void **state)
{
    (void)state;
    enum { TRADES = 60 };
    uint64_t x = seeded_seed("trades"), total = 0;
    for (uint64_t round = 0; round < seeded_rounds(300, 20000); round++) {
        quality_tape_t t = {0};
        int64_t        ts[TRADES], px[TRADES];
        for (int i = 0; i < TRADES; i++) {
            const bool odd    = seeded_next(&x) % 5 == 0;
            ts[i]             = (i + 1) * MINUTE + (odd ? ((int64_t)(seeded_next(&x) % 21) - 10) * MINUTE : 0);
            px[i]             = odd ? (int64_t)(seeded_next(&x) % 400) - 50 : 100 + (int64_t)(seeded_next(&x) % 5);
            const int64_t qty = (int64_t)(seeded_next(&x) % 20) - (odd ? 5 : -1);
            int64_t       ts_before = 0, px_before = 0;
            for (int k = 0; k < i; k++) {
                ts_before = ts[k] > 0 ? ts[k] : ts_before;
                px_before = px[k] > 0 ? px[k] : px_before;
            }
            uint32_t want = 0;
            want |= ts[i] <= 0 ? BIT(TS) : 0;
            want |= ts[i] > 0 && ts_before && ts[i] < ts_before ? BIT(ORDER) : 0;
            want |= ts[i] > 0 && ts_before && ts[i] > ts_before + 5 * MINUTE ? BIT(GAP) : 0;
            want |= px[i] <= 0 ? BIT(PX) : 0;
            want |= qty <= 0 ? BIT(QTY) : 0;
            want |= px_before && (2 * px[i] >= 3 * px_before || 2 * px[i] <= px_before) ? BIT(CHANGE) : 0;
            assert_int_equal(trade(&t, ts[i], px[i], qty), want);
            total += want != 0;
        }
        assert_int_equal(t.trades, TRADES);
    }
    assert_true(total > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quality_each_rule),
        cmocka_unit_test(test_quality_change_and_deviation),
        cmocka_unit_test(test_quality_bars_without_price),
        cmocka_unit_test(test_quality_room_and_limits),
        cmocka_unit_test(test_quality_is_that_of_the_model),
        cmocka_unit_test(test_quality_trades_by_hand),
        cmocka_unit_test(test_quality_trades_are_those_of_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
