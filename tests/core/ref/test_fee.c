/* fee: rates by tier and volume, per contract, minima.
 *
 * Invariants   by hand: a tier holds from the next fill on, days fall out of the window at 00:00 UTC, months end, minima of
 *              fills and orders, rebates round down; at random: a slow model that keeps every fill and sums anew (linear
 *              instruments, exact in 128 bits). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/ref/fee.h"
#include "core/types/num.h"
#include "core/types/time.h"

static instrument_t ins; /* px 0.01, qty 0.001, money 0.0001 */

static int ins_make(void **state)
{
    (void)state;
    const instrument_def_t def  = {.instrument_id = 1,
                                   .venue_id      = 1,
                                   .kind          = INSTRUMENT_LINEAR,
                                   .px_exp        = 2,
                                   .qty_exp       = 3,
                                   .money_exp     = 4,
                                   .settle_ccy    = ccy_pack("USD"),
                                   .lot           = 1,
                                   .min_qty       = 1,
                                   .mult          = 1};
    const tick_band_t      band = {.px_from = 0, .tick = 1};
    return instrument_init(&ins, &def, "TEST", &band, 1) == ERR_OK ? 0 : -1;
}

static int64_t day_ns(int64_t day)
{
    return day * NS_PER_DAY;
}

/* 100.00 x 10.000 = 1000 of the currency */
static int64_t thousand(fee_t *fee, fee_order_t *order, liquidity_t liquidity, int64_t ts_ns)
{
    return fee_charge(fee, order, &ins, liquidity, 10000, 10000, ts_ns);
}

static const fee_cfg_t tiered = {.maker_rate_e8 = 10000, /* 1 and 5 bps */
                                 .taker_rate_e8 = 50000,
                                 .window_days   = 3,
                                 .tier_count    = 2,
                                 .tiers         = {{2000, 0, 40000}, {5000, -10000, 30000}}};

static void test_tiers_follow_the_volume_of_the_window(void **state)
{
    (void)state;
    fee_t       fee;
    fee_order_t order = {0};
    fee_begin(&fee, &tiered);
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_TAKER, day_ns(100)), 5000); /* 0.5 of the currency */
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_MAKER, day_ns(100)), 1000);
    assert_int_equal(fee_volume(&fee), 2000 * 10000);
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_TAKER, day_ns(101) - 1), 4000); /* 2000: the first tier */
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_MAKER, day_ns(101)), 0);
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_MAKER, day_ns(102)), 0);
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_MAKER, day_ns(103) - 1), -1000); /* 5000: a rebate */
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_TAKER, day_ns(103)), 4000);      /* day 100 is out: 3000 left */
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_TAKER, day_ns(102)), 4000);      /* back: the newest day's */
    assert_int_equal(fee_volume(&fee), 5000 * 10000);
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_TAKER, day_ns(200)), 5000); /* all of it is out */
    assert_int_equal(fee_volume(&fee), 1000 * 10000);
}

static void test_months_end(void **state)
{
    (void)state;
    fee_t       fee;
    fee_order_t order        = {0};
    fee_cfg_t   cfg          = tiered;
    cfg.window_days          = 0;
    cfg.tiers[0].from_volume = 1000;
    fee_begin(&fee, &cfg);
    /* every month of 130 years, leap years and centuries: the last second of one, the first of the next */
    for (int year = 1970; year < 2101; year++) {
        for (int month = 0; month < 12; month++) {
            struct tm     t     = {.tm_year = year - 1900, .tm_mon = month, .tm_mday = 1};
            const int64_t first = (int64_t)timegm(&t) * NS_PER_S;
            if (year > 1970 || month > 0) {
                assert_int_equal(thousand(&fee, &order, LIQUIDITY_TAKER, first - 1), 4000);
            }
            assert_int_equal(thousand(&fee, &order, LIQUIDITY_TAKER, first), 5000);
        }
    }
}

static void test_minimum_and_contract(void **state)
{
    (void)state;
    fee_t       fee;
    fee_cfg_t   cfg = {.maker_rate_e8 = -10000, .taker_rate_e8 = 50000, .per_contract_e8 = 1, .min_fill_e8 = 30000000};
    fee_order_t order = {0};
    fee_begin(&fee, &cfg);
    /* 0.5 + 10 contracts x 10^-8 up to 0.0001 */
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_TAKER, 0), 5001);
    assert_int_equal(fee_charge(&fee, &order, &ins, LIQUIDITY_TAKER, 10000, 1, 0), 3000); /* 0.3 */
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_MAKER, 0), 3000);                   /* a rebate is raised, too */

    cfg = (fee_cfg_t){.maker_rate_e8 = 10000, .taker_rate_e8 = 50000, .min_order_e8 = 70000000};
    fee_begin(&fee, &cfg);
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_TAKER, 0), 7000); /* 0.5, but 0.7 */
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_MAKER, 0), 0);    /* 0.6 in all: paid already */
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_TAKER, 0), 4000); /* 1.1 in all */
    order = (fee_order_t){0};
    assert_int_equal(thousand(&fee, &order, LIQUIDITY_MAKER, 0), 7000); /* another order */
}

static void test_rounding_is_against_us(void **state)
{
    (void)state;
    fee_t       fee;
    fee_order_t order = {0};
    fee_begin(&fee, &(fee_cfg_t){.maker_rate_e8 = -1, .taker_rate_e8 = 1});
    assert_int_equal(fee_charge(&fee, &order, &ins, LIQUIDITY_TAKER, 1, 1, 0), 1);
    assert_int_equal(fee_charge(&fee, &order, &ins, LIQUIDITY_MAKER, 1, 1, 0), 0);
    fee_begin(&fee, &(fee_cfg_t){.maker_rate_e8 = -FEE_RATE_MAX, .taker_rate_e8 = FEE_RATE_MAX});
    assert_int_equal(fee_charge(&fee, &order, &ins, LIQUIDITY_TAKER, INT64_MAX, INT64_MAX, 0), INT64_MAX);
    assert_int_equal(fee_charge(&fee, &order, &ins, LIQUIDITY_MAKER, INT64_MAX, INT64_MAX, 0), 0);
    assert_int_equal(fee_volume(&fee), INT64_MAX);
}

static uint64_t rng;

static int64_t rnd(int64_t n)
{
    rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
    return (int64_t)((rng >> 33) % (uint64_t)n);
}

typedef struct past {
    int64_t ts_ns, value_e5; /* |px x qty| in 10^-5 */
} past_t;

static int64_t slow_month(int64_t ts_ns)
{
    const time_t s = (time_t)(ts_ns / NS_PER_S);
    struct tm    t;
    gmtime_r(&s, &t);
    return t.tm_year * 12 + t.tm_mon;
}

static int64_t slow_fee(const fee_cfg_t *cfg, const past_t *past, size_t count, fee_order_t *order,
                        liquidity_t liquidity, const past_t *fill, int64_t qty)
{
    i128_t volume = 0; /* money, each fill rounded down */
    for (size_t i = 0; i < count; i++) {
        const bool in = cfg->window_days == 0
                            ? slow_month(past[i].ts_ns) == slow_month(fill->ts_ns)
                            : past[i].ts_ns / NS_PER_DAY > fill->ts_ns / NS_PER_DAY - (int64_t)cfg->window_days;
        volume += in ? past[i].value_e5 / 10 : 0;
    }
    int64_t rate = liquidity == LIQUIDITY_MAKER ? cfg->maker_rate_e8 : cfg->taker_rate_e8;
    for (uint32_t i = 0; i < cfg->tier_count; i++) {
        if (volume >= (i128_t)cfg->tiers[i].from_volume * 10000) {
            rate = liquidity == LIQUIDITY_MAKER ? cfg->tiers[i].maker_rate_e8 : cfg->tiers[i].taker_rate_e8;
        }
    }
    int64_t fee = (int64_t)div_ceil((i128_t)fill->value_e5 * rate, (i128_t)10 * 100000000);
    fee += (int64_t)div_ceil((i128_t)cfg->per_contract_e8 * qty * 10000, (i128_t)1000 * 100000000);
    const int64_t floor_fill  = (int64_t)div_ceil((i128_t)cfg->min_fill_e8 * 10000, 100000000);
    const int64_t floor_order = (int64_t)div_ceil((i128_t)cfg->min_order_e8 * 10000, 100000000);
    fee                       = cfg->min_fill_e8 != 0 ? max_i64(fee, floor_fill) : fee;
    if (cfg->min_order_e8 == 0) {
        return fee;
    }
    order->sum += fee;
    const int64_t owed = max_i64(order->sum, floor_order) - order->charged;
    order->charged += owed;
    return owed;
}

static void test_against_a_model_that_keeps_every_fill(void **state)
{
    (void)state;
    const char *text = getenv("HWAL_SEED");
    rng              = text != NULL ? strtoull(text, NULL, 0) : 0xfee5;
    printf("seed %#llx (HWAL_SEED)\n", (unsigned long long)rng);
    static past_t past[400];
    unsigned      by_tier[FEE_TIERS_MAX + 1] = {0};
    for (unsigned run = 0; run < 200; run++) {
        fee_cfg_t cfg = {.maker_rate_e8   = rnd(40000) - 20000,
                         .taker_rate_e8   = rnd(100000),
                         .per_contract_e8 = rnd(2) * rnd(1000000),
                         .min_fill_e8     = rnd(3) == 0 ? rnd(100000000) : 0,
                         .min_order_e8    = rnd(3) == 0 ? rnd(1000000000) : 0,
                         .window_days     = (uint32_t)rnd(FEE_DAYS_MAX + 1),
                         .tier_count      = (uint32_t)rnd(FEE_TIERS_MAX + 1)};
        for (uint32_t i = 0, from = 0; i < cfg.tier_count; i++) {
            from += 1 + (uint32_t)rnd(20000);
            cfg.tiers[i] = (fee_tier_t){from, rnd(20000) - 15000, rnd(50000)};
        }
        assert_int_equal(fee_check(&cfg), ERR_OK);
        fee_t       fee;
        fee_order_t order = {0}, slow_order = {0};
        int64_t     ts_ns = rnd(20000) * NS_PER_DAY + rnd(NS_PER_DAY);
        fee_begin(&fee, &cfg);
        for (size_t n = 0; n < 400; n++) {
            if (rnd(5) == 0) {
                order = slow_order = (fee_order_t){0};
            }
            ts_ns += rnd(10) == 0 ? rnd(40) * NS_PER_DAY / 4 : rnd(NS_PER_DAY / 20);
            const int64_t     px = 1 + rnd(30000), qty = 1 + rnd(20000);
            const liquidity_t liquidity = rnd(2) ? LIQUIDITY_MAKER : LIQUIDITY_TAKER;
            const past_t      fill      = {ts_ns, px * qty};
            const int64_t     want      = slow_fee(&cfg, past, n, &slow_order, liquidity, &fill, qty);
            assert_int_equal(fee_charge(&fee, &order, &ins, liquidity, px, qty, ts_ns), want);
            past[n]       = fill;
            uint32_t tier = 0;
            while (tier < cfg.tier_count && fee_volume(&fee) >= cfg.tiers[tier].from_volume * 10000) {
                tier++;
            }
            by_tier[tier]++;
        }
    }
    printf("  fills by tier after them: %u %u %u %u ...\n", by_tier[0], by_tier[1], by_tier[2], by_tier[3]);
    assert_true(by_tier[0] > 100 && by_tier[1] > 100 && by_tier[5] > 100);
}

static void test_bad_cfg_is_refused(void **state)
{
    (void)state;
    fee_cfg_t bad[]               = {tiered, tiered, tiered, tiered, tiered, tiered, tiered, tiered};
    bad[0].maker_rate_e8          = -FEE_RATE_MAX - 1;
    bad[1].tiers[1].from_volume   = 2000;
    bad[2].tiers[0].from_volume   = 0;
    bad[3].tiers[1].taker_rate_e8 = FEE_RATE_MAX + 1;
    bad[4].min_fill_e8            = -1;
    bad[5].per_contract_e8        = FEE_MONEY_MAX + 1;
    bad[6].window_days            = 32;
    bad[7].tier_count             = 17;
    const char *says[]            = {"maker fee rate is -10000001",
                                     "tier 2 is from a volume of 2000, limit above 2000",
                                     "tier 1 is from a volume of 0",
                                     "of a tier: taker",
                                     "minimum of a fill is -1",
                                     "per contract",
                                     "32 days",
                                     "17 tiers"};
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(fee_check(&bad[i]), ERR_ARG);
        assert_non_null(strstr(err_msg(), says[i]));
    }
    assert_int_equal(fee_check(&tiered), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiers_follow_the_volume_of_the_window),
        cmocka_unit_test(test_months_end),
        cmocka_unit_test(test_minimum_and_contract),
        cmocka_unit_test(test_rounding_is_against_us),
        cmocka_unit_test(test_against_a_model_that_keeps_every_fill),
        cmocka_unit_test(test_bad_cfg_is_refused),
    };
    return cmocka_run_group_tests(tests, ins_make, NULL);
}
