/* Sizes: by hand, and against a walk over every lot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/risk/size.h"
#include "tests/lib/seeded.h"

static instrument_t make(instrument_kind_t kind, int px_exp, int qty_exp, int money_exp, int64_t lot, int64_t mult)
{
    const instrument_def_t def  = {.instrument_id = 1,
                                   .venue_id      = 1,
                                   .kind          = (uint8_t)kind,
                                   .px_exp        = (int8_t)px_exp,
                                   .qty_exp       = (int8_t)qty_exp,
                                   .money_exp     = (int8_t)money_exp,
                                   .settle_ccy    = ccy_pack("USD"),
                                   .lot           = lot,
                                   .mult          = mult};
    const tick_band_t      band = {.tick = 1};
    instrument_t           ins;
    assert_int_equal(instrument_init(&ins, &def, "X", &band, 1), ERR_OK);
    return ins;
}

static void test_size_fixed_risk_by_hand(void **state)
{
    (void)state;
    const instrument_t spot = make(INSTRUMENT_SPOT, 2, 3, 2, 1, 1); /* 0.01, 0.001, cents */
    int64_t            qty;
    /* 100,000.00; 1 % = 1,000.00; from 100.00 to 95.00: 5.00 each: 200.000 */
    assert_int_equal(size_fixed_risk(&spot, 10000000, 100, 10000, 9500, 100000, &qty), ERR_OK);
    assert_int_equal(qty, 200000);
    /* the cap: 10 % of equity is 10,000.00 = 100.000 at 100.00 */
    assert_int_equal(size_fixed_risk(&spot, 10000000, 100, 10000, 9500, 1000, &qty), ERR_OK);
    assert_int_equal(qty, 100000);
    /* a short: the stop is above */
    assert_int_equal(size_fixed_risk(&spot, 10000000, 100, 10000, 10500, 100000, &qty), ERR_OK);
    assert_int_equal(qty, 200000);
    /* rounding is towards less: 3.33 of loss each, 1,000.00 / 3.33 = 300.300.. */
    assert_int_equal(size_fixed_risk(&spot, 10000000, 100, 10000, 9667, 100000, &qty), ERR_OK);
    assert_int_equal(qty, 300300);
    assert_int_equal(size_fixed_risk(&spot, 0, 100, 10000, 9500, 10000, &qty), ERR_OK);
    assert_int_equal(qty, 0);
    assert_int_equal(size_fixed_risk(&spot, -5, 100, 10000, 9500, 10000, &qty), ERR_OK);
    assert_int_equal(qty, 0);
    /* inverse, 100 USD a contract, money 10^-8 coin: from 50,000 to 40,000 one contract loses 100/40000 - 100/50000 = 0.0005 */
    const instrument_t inv = make(INSTRUMENT_INVERSE, 0, 0, 8, 1, 100);
    assert_int_equal(size_fixed_risk(&inv, 1000000000, 100, 50000, 40000, 100000, &qty), ERR_OK);
    assert_int_equal(qty, 200); /* 1 % of 10 coins = 0.1 */
}

static void test_size_kelly_by_hand(void **state)
{
    (void)state;
    const instrument_t spot = make(INSTRUMENT_SPOT, 2, 0, 2, 1, 1);
    int64_t            qty;
    /* p .6, even odds: f = .2; half: .1 of 100,000.00 = 10,000.00 at 100.00: 100 */
    assert_int_equal(size_kelly(&spot, 10000000, 600000, 1000000, 5000, 10000, 10000, &qty), ERR_OK);
    assert_int_equal(qty, 100);
    /* p .55, b 2: f = .55 - .45 / 2 = .325; whole, capped at 25 % */
    assert_int_equal(size_kelly(&spot, 10000000, 550000, 2000000, 10000, 10000, 10000, &qty), ERR_OK);
    assert_int_equal(qty, 325);
    assert_int_equal(size_kelly(&spot, 10000000, 550000, 2000000, 10000, 10000, 2500, &qty), ERR_OK);
    assert_int_equal(qty, 250);
    /* no edge, or less */
    assert_int_equal(size_kelly(&spot, 10000000, 500000, 1000000, 10000, 10000, 10000, &qty), ERR_OK);
    assert_int_equal(qty, 0);
    assert_int_equal(size_kelly(&spot, 10000000, 0, 1000000, 10000, 10000, 10000, &qty), ERR_OK);
    assert_int_equal(qty, 0);
    /* the widest figures there are */
    assert_int_equal(size_kelly(&spot, INT64_MAX, SIZE_PPM, SIZE_PPM * 1000LL, SIZE_BP, 1, 1000000, &qty), ERR_OK);
    assert_int_equal(qty, INT64_MAX);
}

static void test_size_weights_by_hand(void **state)
{
    (void)state;
    const instrument_t krw = make(INSTRUMENT_SPOT, 0, 0, 0, 10, 1); /* no decimals, lots of ten */
    int64_t            qty;
    assert_int_equal(size_vol_target(&krw, 1000000, 1000, 2000, 700, 10000, &qty),
                     ERR_OK); /* half: 500,000 / 700 = 714 */
    assert_int_equal(qty, 710);
    assert_int_equal(size_vol_target(&krw, 1000000, 4000, 2000, 700, 10000, &qty), ERR_OK); /* twice, capped at 1 */
    assert_int_equal(qty, 1420);
    assert_int_equal(size_target_weight(&krw, 1000000, 5000, 700, 100, 10000, &qty), ERR_OK);
    assert_int_equal(qty, 610);
    assert_int_equal(size_target_weight(&krw, 1000000, 5000, 700, 2000, 10000, &qty), ERR_OK);
    assert_int_equal(qty, -1290);
    assert_int_equal(size_target_weight(&krw, 1000000, -5000, 700, 100, 10000, &qty), ERR_OK);
    assert_int_equal(qty, -810);
    assert_int_equal(size_target_weight(&krw, 1000000, 0, 700, 105, 10000, &qty), ERR_OK);
    assert_int_equal(qty, -100); /* five are off the lot */
    assert_int_equal(size_of_value(&krw, 700, -1, &qty), ERR_OK);
    assert_int_equal(qty, 0);
}

static void test_size_refuses(void **state)
{
    (void)state;
    const instrument_t spot = make(INSTRUMENT_SPOT, 2, 3, 2, 1, 1), inv = make(INSTRUMENT_INVERSE, 0, 0, 8, 1, 100);
    instrument_t       sub = spot;
    int64_t            qty = 77;
    sub.def.allow_negative = 1;
    assert_int_equal(size_of_value(&spot, 0, 5, &qty), ERR_ARG);
    assert_int_equal(size_of_value(&inv, 0, 5, &qty), ERR_ARG);
    assert_int_equal(size_fixed_risk(&spot, 1, 0, 10000, 9500, 1, &qty), ERR_ARG);
    assert_int_equal(size_fixed_risk(&spot, 1, SIZE_BP + 1, 10000, 9500, 1, &qty), ERR_ARG);
    assert_int_equal(size_fixed_risk(&spot, 1, 1, 10000, 10000, 1, &qty), ERR_ARG);
    assert_int_equal(size_fixed_risk(&spot, 1, 1, 10000, 0, 1, &qty), ERR_ARG);
    assert_int_equal(size_fixed_risk(&spot, 1, 1, 10000, 9500, -1, &qty), ERR_ARG);
    assert_int_equal(size_fixed_risk(&spot, 1, 1, 10000, 9500, 1000001, &qty), ERR_ARG);
    assert_int_equal(size_kelly(&spot, 1, -1, 1, 1, 1, 1, &qty), ERR_ARG);
    assert_int_equal(size_kelly(&spot, 1, SIZE_PPM + 1, 1, 1, 1, 1, &qty), ERR_ARG);
    assert_int_equal(size_kelly(&spot, 1, 1, 0, 1, 1, 1, &qty), ERR_ARG);
    assert_int_equal(size_kelly(&spot, 1, 1, SIZE_PPM * 1000LL + 1, 1, 1, 1, &qty), ERR_ARG);
    assert_int_equal(size_kelly(&spot, 1, 1, 1, SIZE_BP + 1, 1, 1, &qty), ERR_ARG);
    assert_int_equal(size_vol_target(&spot, 1, -1, 1, 1, 1, &qty), ERR_ARG);
    assert_int_equal(size_vol_target(&spot, 1, 1, 0, 1, 1, &qty), ERR_ARG);
    assert_int_equal(size_kelly(&spot, 1, 1, 1, 1, 0, 1, &qty), ERR_ARG); /* a price that is none, in each of them */
    assert_int_equal(size_vol_target(&spot, 1, 1, 1, 0, 1, &qty), ERR_ARG);
    assert_int_equal(size_target_weight(&spot, 1, 1, 0, 0, 1, &qty), ERR_ARG);
    assert_int_equal(size_target_weight(&spot, 1, 2, 1, 0, 1, &qty), ERR_ARG);
    assert_int_equal(size_target_weight(&spot, 1, -2, 1, 0, 1, &qty), ERR_ARG);
    assert_int_equal(size_target_weight(&spot, INT64_MAX, SIZE_BP, 1, INT64_MIN, SIZE_BP, &qty), ERR_RANGE);
    assert_int_equal(size_target_weight(&spot, INT64_MAX, -SIZE_BP, 1, INT64_MAX, SIZE_BP, &qty), ERR_RANGE);
    assert_int_equal(qty, 77);
    assert_int_equal(size_of_value(&sub, 0, 5, &qty), ERR_OK); /* worth nothing: as much as there is */
    assert_int_equal(qty, INT64_MAX);
}

static void test_size_at_the_ends(void **state)
{
    (void)state;
    const instrument_t spot = make(INSTRUMENT_SPOT, 0, 0, 0, 1, 1);
    int64_t            qty;
    /* 100 times the largest equity is as much as money can say */
    assert_int_equal(size_vol_target(&spot, INT64_MAX, SIZE_BP * 100, 1, 1, SIZE_BP * 100, &qty), ERR_OK);
    assert_int_equal(qty, INT64_MAX);
    assert_int_equal(size_vol_target(&spot, INT64_MAX, SIZE_BP * 100, 1, 2, SIZE_BP * 100, &qty), ERR_OK);
    assert_int_equal(qty, INT64_MAX / 2);
    /* a stop so far that most quantities have no value there: what one contract loses is more than the risk, or is it */
    assert_int_equal(size_fixed_risk(&spot, 1000000000, SIZE_BP, 1, INT64_MAX, SIZE_BP, &qty), ERR_OK);
    assert_int_equal(qty, 0);
    assert_int_equal(size_fixed_risk(&spot, INT64_MAX, SIZE_BP, 1, INT64_MAX, SIZE_BP, &qty), ERR_OK);
    assert_int_equal(qty, 1);
    /* a change that is exactly the largest, and one more */
    assert_int_equal(size_target_weight(&spot, INT64_MAX, SIZE_BP, 1, 0, SIZE_BP, &qty), ERR_OK);
    assert_int_equal(qty, INT64_MAX);
    qty = 77;
    assert_int_equal(size_target_weight(&spot, INT64_MAX, SIZE_BP, 1, -1, SIZE_BP, &qty), ERR_RANGE);
    assert_int_equal(size_target_weight(&spot, INT64_MAX, -SIZE_BP, 1, 1, SIZE_BP, &qty), ERR_RANGE);
    assert_int_equal(qty, 77);
    assert_int_equal(size_target_weight(&spot, INT64_MAX, -SIZE_BP, 1, 0, SIZE_BP, &qty), ERR_OK);
    assert_int_equal(qty, -INT64_MAX);
}

/* Every answer fits, and one lot more does not: asked of the value formula itself, for random instruments. */
static void test_size_is_the_largest(void **state)
{
    (void)state;
    uint64_t rng = seeded_seed("size");
    for (int i = 0; i < 20000; i++) {
        const bool         inverse = seeded_next(&rng) % 3 == 0;
        const int64_t      lot     = 1 + (int64_t)(seeded_next(&rng) % 50);
        const instrument_t ins    = make(inverse ? INSTRUMENT_INVERSE : INSTRUMENT_LINEAR, (int)(seeded_next(&rng) % 4),
                                      (int)(seeded_next(&rng) % 4), (int)(seeded_next(&rng) % 9), lot,
                                      1 + (int64_t)(seeded_next(&rng) % 100));
        const int64_t      px     = 1 + (int64_t)(seeded_next(&rng) % 1000000);
        const int64_t      stop   = px + 1 + (int64_t)(seeded_next(&rng) % 1000);
        const int64_t      equity = (int64_t)(seeded_next(&rng) % 1000000000000);
        const int64_t      bp     = 1 + (int64_t)(seeded_next(&rng) % SIZE_BP);
        int64_t            qty, value;
        assert_int_equal(size_fixed_risk(&ins, equity, bp, px, stop, 20000, &qty), ERR_OK);
        assert_int_equal(qty % lot, 0);
        for (int more = 0; more < 2 && qty <= INT64_MAX - lot; more++) {
            const int64_t q = qty + more * lot;
            i128_t        a = 0, b = 0;
            assert_true(instrument_notional(&ins, px, q, &value));
            assert_true(instrument_value_nano(&ins, px, q, &a) && instrument_value_nano(&ins, stop, q, &b));
            const i128_t loss = div_ceil(a > b ? a - b : b - a, 1000000000);
            const bool   ok   = value <= (i128_t)equity * 2 && loss <= mul_i64(equity, bp) / SIZE_BP;
            assert_int_equal(ok, more == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_fixed_risk_by_hand), cmocka_unit_test(test_size_kelly_by_hand),
        cmocka_unit_test(test_size_weights_by_hand),    cmocka_unit_test(test_size_refuses),
        cmocka_unit_test(test_size_at_the_ends),        cmocka_unit_test(test_size_is_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
