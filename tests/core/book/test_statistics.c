/* statistics: what is checked here
 *
 *  1. against the slow model (the list of all trades, sorted into days and added up anew): random trades over several days,
 *     late ones, venue clocks ahead and behind, none where the venue sends no time
 *  2. the day begins by our clock, or early by a trade's stamp, and not twice; a stamp far ahead counts as of now
 *  3. volume and turnover that end: flagged once, both stay, prices and the count go on; the next day counts again
 *  4. what is no trade counts in `uncounted` alone; negative prices where they are prices
 *
 * Random histories print their seed; HWAL_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/book/statistics.h"
#include "core/types/time.h"
#include "tests/lib/seeded.h"

#define DAY0 (20000 * NS_PER_DAY)
#define TRADES_MAX 4000u

static const instrument_t plain    = {.def = {.instrument_id = 1}};
static const instrument_t negative = {.def = {.instrument_id = 1, .allow_negative = 1}};

static trade_t at(int64_t ts, int64_t px, int64_t qty)
{
    return (trade_t){.instrument_id = 1, .px = px, .qty = qty, .ts_event_ns = ts};
}

static i128_t turnover(const statistics_t *s)
{
    return (i128_t)((u128_t)(uint64_t)s->turnover_hi << 64 | s->turnover_lo);
}

typedef struct model {
    trade_t  trades[TRADES_MAX];
    int64_t  heard[TRADES_MAX]; /* utc_ns */
    uint32_t count;
} model_t;

/* From nothing: the day that is on at utc_ns after the trades so far, and its figures. A day is on from the first of: our
 * clock came into it; a trade of it was heard while our clock was in the day before. */
static statistics_t model_show(const model_t *m, const instrument_t *ins, int64_t utc_ns)
{
    int64_t      day = DAY0 / NS_PER_DAY;
    statistics_t s   = {.instrument_id = 1};
    i128_t       sum = 0;
    for (uint32_t i = 0; i <= m->count; i++) {
        const int64_t now  = (i < m->count ? m->heard[i] : utc_ns) / NS_PER_DAY;
        const trade_t none = {0}, *t = i < m->count ? &m->trades[i] : &none;
        const int64_t ts    = t->ts_event_ns  ? t->ts_event_ns
                              : t->ts_recv_ns ? t->ts_recv_ns
                                              : m->heard[i < m->count ? i : 0];
        const int64_t of    = ts / NS_PER_DAY;
        const bool    good  = t->qty > 0 && (t->px > 0 || ins->def.allow_negative);
        const bool    early = i < m->count && good && day <= now && of == now + 1;
        const int64_t next  = early ? now + 1 : day < now ? now : day;
        if (next != day) {
            s   = (statistics_t){.instrument_id  = 1,
                                 .prev_close_px  = s.trades ? s.last_px : s.prev_close_px,
                                 .prev_close_qty = s.trades ? s.last_qty : s.prev_close_qty};
            sum = 0;
            day = next;
        }
        if (i == m->count) {
            break;
        }
        if (of < day || !good) {
            s.uncounted++;
            continue;
        }
        s.open_px = s.trades ? s.open_px : t->px;
        s.high_px = !s.trades || t->px > s.high_px ? t->px : s.high_px;
        s.low_px  = !s.trades || t->px < s.low_px ? t->px : s.low_px;
        s.trades++;
        s.last_px    = t->px;
        s.last_qty   = t->qty;
        s.last_ts_ns = ts;
        s.volume += t->qty;
        sum += (i128_t)t->px * t->qty;
    }
    s.day_utc_ns  = day * NS_PER_DAY;
    s.turnover_hi = (int64_t)(sum >> 64);
    s.turnover_lo = (uint64_t)sum;
    s.vwap_px     = s.volume ? (int64_t)(sum / s.volume) : 0;
    return s;
}

static void test_statistics_as_the_model_says(void **state)
{
    (void)state;
    uint64_t       seed   = seeded_seed("test_statistics_as_the_model_says");
    const uint64_t rounds = seeded_rounds(10, 300);
    model_t       *m      = calloc(1, sizeof *m);
    uint64_t       days = 0, uncounted = 0, early = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        const instrument_t *ins = round % 2 ? &negative : &plain;
        statistics_t        s;
        int64_t             now = DAY0 + (int64_t)(seeded_next(&seed) % NS_PER_DAY);
        m->count                = 0;
        statistics_new(&s, 1, now);
        for (uint32_t n = 0; n < 400; n++) {
            now += (int64_t)(seeded_next(&seed) % (seeded_next(&seed) % 20 ? NS_PER_DAY / 40 : NS_PER_DAY * 3));
            const int64_t to_midnight = NS_PER_DAY - now % NS_PER_DAY;
            if (seeded_next(&seed) % 4 == 0) { /* just before it */
                now += to_midnight - 1 - (int64_t)(seeded_next(&seed) % 3);
            }
            const int64_t  before = s.day_utc_ns;
            const uint64_t out    = s.uncounted;
            if (seeded_next(&seed) % 3 == 0) {
                statistics_roll(&s, now);
            } else {
                trade_t        t    = {.px  = (int64_t)(seeded_next(&seed) % 2000) - 100,
                                       .qty = (int64_t)(seeded_next(&seed) % 1000) - 20};
                const uint64_t kind = seeded_next(&seed) % 8;
                if (kind < 6) {
                    const int64_t off = (int64_t)(seeded_next(&seed) % 9) - 4;
                    t.ts_event_ns     = now + off * (kind == 0 ? NS_PER_DAY : 1);
                } else if (kind == 6) {
                    t.ts_recv_ns = now - (int64_t)(seeded_next(&seed) % 5);
                }
                m->heard[m->count]    = now;
                m->trades[m->count++] = t;
                assert_false(statistics_trade(&s, ins, &t, now));
                early += s.day_utc_ns > now;
            }
            const statistics_t shown = statistics_show(&s), expected = model_show(m, ins, now);
            assert_memory_equal(&shown, &expected, sizeof shown);
            days += s.day_utc_ns != before;
            uncounted += s.uncounted > out;
        }
    }
    printf("  %llu days, %llu begun early\n", (unsigned long long)days, (unsigned long long)early);
    assert_true(days > 10 && early > 0 && uncounted > 0);
    free(m);
}

static void test_statistics_day_begins_once(void **state)
{
    (void)state;
    statistics_t  s;
    const int64_t midnight = DAY0 + NS_PER_DAY;
    statistics_new(&s, 1, DAY0 + 5);
    trade_t t = at(DAY0 + 6, 100, 2);
    statistics_trade(&s, &plain, &t, DAY0 + 7);
    t = at(midnight, 101, 3); /* the venue is in the next day, we are not */
    statistics_trade(&s, &plain, &t, midnight - 1);
    assert_int_equal(s.day_utc_ns, midnight);
    assert_int_equal(s.open_px, 101);
    assert_int_equal(s.prev_close_px, 100);
    t = at(midnight - 1, 99, 1); /* late */
    statistics_trade(&s, &plain, &t, midnight - 1);
    assert_int_equal(s.uncounted, 1);
    assert_int_equal(s.low_px, 101);
    statistics_roll(&s, midnight - 1);
    statistics_roll(&s, midnight); /* it runs already */
    assert_int_equal(s.trades, 1);
    t = at(midnight + 3 * NS_PER_DAY, 105, 1); /* nobody's clock is so far ahead */
    statistics_trade(&s, &plain, &t, midnight + 1);
    assert_int_equal(s.day_utc_ns, midnight);
    assert_int_equal(s.high_px, 105);
    statistics_roll(&s, midnight + 3 * NS_PER_DAY);
    assert_int_equal(s.day_utc_ns, midnight + 3 * NS_PER_DAY);
    assert_int_equal(s.trades + (uint64_t)s.volume + (uint64_t)turnover(&s) + s.uncounted, 0);
    assert_int_equal(s.prev_close_px, 105);
    statistics_roll(&s, midnight + 4 * NS_PER_DAY); /* a day without a trade: the close before it stays */
    assert_int_equal(s.prev_close_px, 105);
    statistics_roll(&s, DAY0); /* a clock that was set back: that day, anew */
    assert_int_equal(s.day_utc_ns, DAY0);
}

static void test_statistics_sums_end(void **state)
{
    (void)state;
    statistics_t s;
    statistics_new(&s, 1, DAY0);
    trade_t t = at(DAY0, 2, INT64_MAX - 5);
    assert_false(statistics_trade(&s, &plain, &t, DAY0));
    t = at(DAY0, 4, 5);
    assert_false(statistics_trade(&s, &plain, &t, DAY0)); /* just fits */
    assert_int_equal(s.volume, INT64_MAX);
    t = at(DAY0, 9, 1);
    assert_true(statistics_trade(&s, &plain, &t, DAY0));
    assert_false(statistics_trade(&s, &plain, &t, DAY0)); /* told once */
    assert_int_equal(s.flags, STATISTICS_OVERFLOW);
    assert_int_equal(s.volume, INT64_MAX);
    assert_true(turnover(&s) == (i128_t)2 * (INT64_MAX - 5) + 20);
    assert_int_equal(s.trades, 4);
    assert_int_equal(s.high_px, 9);
    assert_int_equal(statistics_show(&s).vwap_px, 2);
    statistics_roll(&s, DAY0 + NS_PER_DAY);
    assert_int_equal(s.flags, 0);
    t = at(DAY0 + NS_PER_DAY, INT64_MIN, INT64_MAX); /* the largest products of the other sign */
    assert_false(statistics_trade(&s, &negative, &t, DAY0 + NS_PER_DAY));
    assert_true(turnover(&s) == (i128_t)INT64_MIN * INT64_MAX);
    assert_int_equal(statistics_show(&s).vwap_px, INT64_MIN);
}

static void test_statistics_no_trades(void **state)
{
    (void)state;
    statistics_t  s;
    const trade_t none[] = {at(DAY0, 5, 0), at(DAY0, 5, -1), at(DAY0, 0, 1), at(DAY0, -1, 1)};
    statistics_new(&s, 1, DAY0);
    for (uint32_t i = 0; i < 4; i++) {
        statistics_trade(&s, &plain, &none[i], DAY0);
        assert_int_equal(s.uncounted, i + 1);
        assert_int_equal(s.trades, 0);
    }
    statistics_trade(&s, &negative, &none[3], DAY0);
    const trade_t next = at(DAY0 + NS_PER_DAY, 5, 0); /* nor does its stamp begin a day */
    statistics_trade(&s, &negative, &next, DAY0 + 1);
    assert_int_equal(s.day_utc_ns, DAY0);
    assert_int_equal(s.uncounted, 5);
    assert_int_equal(s.trades, 1);
    assert_int_equal(s.high_px, -1);
    assert_int_equal(s.low_px, -1);
    assert_int_equal(statistics_show(&s).vwap_px, -1);
    statistics_new(&s, 1, INT64_MIN); /* no clock is wild enough to hurt */
    statistics_trade(&s, &plain, &none[0], INT64_MAX);
    statistics_roll(&s, INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics_as_the_model_says),
        cmocka_unit_test(test_statistics_day_begins_once),
        cmocka_unit_test(test_statistics_sums_end),
        cmocka_unit_test(test_statistics_no_trades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
