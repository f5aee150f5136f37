/* Invariants
 *   1. instrument_init refuses each field out of its range with a sentence that names it, and then leaves ins
 *   untouched. 2. round_down, round_up, on_tick, tick_at equal a model that walks price by price (KRX-like, Upbit-like,
 *   negative). 3. value_nano is the exact quotient rounded towards -inf: v*D <= N < (v+1)*D in 512-bit arithmetic of
 *   our own. 4. notional is the exact size rounded up; inverse and linear; what does not fit is refused and out
 *   untouched. 5. Hash: equal for equal definitions, different when any field differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ref/instrument.h"

static uint64_t rng_state;

static uint64_t rnd(void)
{
    uint64_t z = (rng_state += 0x9e3779b97f4a7c15ULL);
    z          = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z          = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static int64_t rnd_magnitude(void) /* any number of bits, so that small and extreme numbers are equally common */
{
    return (int64_t)(rnd() >> (1 + rnd() % 63));
}

static instrument_def_t linear_def(void)
{
    return (instrument_def_t){.instrument_id = 1,
                              .venue_id      = 1,
                              .kind          = INSTRUMENT_LINEAR,
                              .px_exp        = 1,
                              .qty_exp       = 3,
                              .money_exp     = 8,
                              .settle_ccy    = ccy_pack("USDT"),
                              .lot           = 1,
                              .min_qty       = 1,
                              .mult          = 1};
}

static instrument_t make(const instrument_def_t *def, const tick_band_t *bands, uint32_t count)
{
    instrument_t ins;
    if (instrument_init(&ins, def, "TEST", bands, count) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
    return ins;
}

static const tick_band_t krx[]   = {{0, 1},       {2000, 5},     {5000, 10},    {20000, 50},
                                    {50000, 100}, {200000, 500}, {500000, 1000}};
static const tick_band_t upbit[] = {{0, 1}, {100, 10}, {1000, 100}, {10000, 100}, {100000, 1000}, {1000000, 10000}};
static const tick_band_t below_zero[]       = {{INT64_MIN, 25}, {-100, 5}, {0, 1}, {90, 30}};
static const tick_band_t coarse_then_fine[] = {{0, 100}, {9600, 10}};

/* ---- 1 ----------------------------------------------------------------------------------------------------------- */

static void refused(const instrument_def_t *def, const char *symbol, const tick_band_t *bands, uint32_t count,
                    const char *word)
{
    instrument_t ins;
    instrument_t before;
    memset(&ins, 0x5a, sizeof ins);
    before = ins;
    assert_int_equal(instrument_init(&ins, def, symbol, bands, count), ERR_ARG);
    assert_memory_equal(&ins, &before, sizeof ins);
    if (strstr(err_msg(), word) == NULL) {
        fail_msg("\"%s\" does not name %s", err_msg(), word);
    }
}

static void test_instrument_init_refuses_each_field(void **state)
{
    (void)state;
    const tick_band_t one[] = {{0, 1}};
    instrument_def_t  def   = linear_def();
    refused(&def, "", one, 1, "symbol");
    refused(&def, "ABCDEFGHIJKLMNOPQRSTUVWX", one, 1, "symbol");
    refused(&def, "A B", one, 1, "symbol");
    refused(&def, "X", one, 0, "bands");
    refused(&def, "X", krx, 17, "bands");
    refused(&def, "X", (tick_band_t[]){{0, 0}}, 1, "tick");
    refused(&def, "X", (tick_band_t[]){{0, 1}, {0, 1}}, 2, "px_from");
    refused(&def, "X", (tick_band_t[]){{0, 1}, {11, 10}}, 2, "px_from");
#define REFUSED(field, value, word)                                                                                    \
    do {                                                                                                               \
        def       = linear_def();                                                                                      \
        def.field = (value);                                                                                           \
        refused(&def, "X", one, 1, word);                                                                              \
    } while (0)
    REFUSED(kind, 0, "kind");
    REFUSED(kind, 4, "kind");
    REFUSED(allow_negative, 2, "allow_negative");
    REFUSED(px_exp, -1, "px_exp");
    REFUSED(qty_exp, 13, "qty_exp");
    REFUSED(money_exp, 13, "money_exp");
    REFUSED(mult_exp, -1, "mult_exp");
    REFUSED(settle_ccy, 0, "settle_ccy");
    REFUSED(settle_ccy, ccy_pack("U D"), "settle_ccy");
    REFUSED(settle_ccy, 0x4100000041ULL, "settle_ccy");
    REFUSED(lot, 0, "lot");
    REFUSED(min_qty, -1, "min_qty");
    REFUSED(min_notional, -1, "min_notional");
    REFUSED(mult, 0, "mult");
    REFUSED(band_lower, 1, "band_lower");
#undef REFUSED
    def        = linear_def();
    def.px_exp = 10, def.qty_exp = 5, def.mult_exp = 4;
    refused(&def, "X", one, 1, "19");
    def      = linear_def();
    def.kind = INSTRUMENT_SPOT, def.mult = 2;
    refused(&def, "X", one, 1, "mult");
    def      = linear_def();
    def.kind = INSTRUMENT_INVERSE, def.allow_negative = 1;
    refused(&def, "X", one, 1, "allow_negative");
}

static void test_ccy_round_trip(void **state)
{
    (void)state;
    char text[9];
    assert_string_equal(ccy_text(ccy_pack("USDT"), text), "USDT");
    assert_string_equal(ccy_text(ccy_pack("ABCDEFGH"), text), "ABCDEFGH");
    assert_int_equal(ccy_pack("ABCDEFGHI"), 0);
    assert_int_equal(ccy_pack(""), 0);
    assert_int_equal(ccy_pack("K"), 'K');
}

/* ---- 2 ----------------------------------------------------------------------------------------------------------- */

static bool model_on_tick(const tick_band_t *bands, uint32_t count, int64_t px)
{
    int64_t tick = bands[0].tick;
    for (uint32_t i = 1; i < count; i++) {
        tick = px >= bands[i].px_from ? bands[i].tick : tick;
    }
    return px % tick == 0;
}

static void check_grid(const tick_band_t *bands, uint32_t count, int64_t from, int64_t to)
{
    instrument_def_t def   = linear_def();
    def.allow_negative     = 1;
    const instrument_t ins = make(&def, bands, count);
    for (int64_t px = from; px <= to; px++) {
        int64_t down = px;
        int64_t up   = px;
        while (!model_on_tick(bands, count, down)) {
            down--;
        }
        while (!model_on_tick(bands, count, up)) {
            up++;
        }
        assert_int_equal(instrument_on_tick(&ins, px), model_on_tick(bands, count, px));
        assert_int_equal(instrument_round_down(&ins, px), down);
        assert_int_equal(instrument_round_up(&ins, px), up);
    }
}

static void test_rounding_equals_walk_in_every_band(void **state)
{
    (void)state;
    check_grid(krx, 7, 0, 60000);
    check_grid(krx, 7, 198000, 203000);
    check_grid(krx, 7, 497000, 505000);
    check_grid(upbit, 6, 0, 20000);
    check_grid(upbit, 6, 90000, 120000);
    check_grid(below_zero, 4, -500, 500);
    check_grid(coarse_then_fine, 2, -1000, 12000);
    const instrument_def_t def = linear_def();
    const instrument_t     ins = make(&def, krx, 7);
    assert_int_equal(instrument_tick_at(&ins, 1999), 1);
    assert_int_equal(instrument_tick_at(&ins, 2000), 5);
    assert_int_equal(instrument_tick_at(&ins, 500000), 1000);
    assert_int_equal(instrument_tick_at(&ins, -7), 1);
}

static void test_rounding_stays_in_int64_at_its_ends(void **state)
{
    (void)state;
    const instrument_def_t def = linear_def();
    const instrument_t     ins = make(&def, (tick_band_t[]){{0, 10}}, 1);
    assert_int_equal(instrument_round_down(&ins, INT64_MAX), 9223372036854775800);
    assert_int_equal(instrument_round_up(&ins, INT64_MAX), 9223372036854775800);
    assert_int_equal(instrument_round_up(&ins, INT64_MIN), -9223372036854775800);
    assert_int_equal(instrument_round_down(&ins, INT64_MIN), -9223372036854775800);
    const instrument_t two = make(&def, (tick_band_t[]){{0, INT64_MAX}, {INT64_MAX - 1, 2}}, 2);
    assert_int_equal(instrument_round_up(&two, 5), INT64_MAX - 1);
}

/* ---- 3, 4: products in 512 bits ---------------------------------------------------------------------------------- */

#define LIMBS 16
typedef struct wide { /* unsigned, 32 bits a limb, lowest first */
    uint32_t limb[LIMBS];
} wide_t;

static wide_t wide_mul(wide_t a, uint64_t f)
{
    wide_t out = {{0}};
    for (int half = 0; half < 2; half++) {
        const uint64_t part  = half == 0 ? f & 0xffffffff : f >> 32;
        uint64_t       carry = 0;
        for (int i = 0; i + half < LIMBS; i++) {
            carry += a.limb[i] * part;
            carry += out.limb[i + half];
            out.limb[i + half] = (uint32_t)carry;
            carry >>= 32;
        }
        assert_true(carry == 0);
    }
    return out;
}

static wide_t wide_of(u128_t v)
{
    wide_t out = {{(uint32_t)v, (uint32_t)(v >> 32), (uint32_t)(v >> 64), (uint32_t)(v >> 96)}};
    return out;
}

static wide_t wide_ten(wide_t a, int n)
{
    while (n-- > 0) {
        a = wide_mul(a, 10);
    }
    return a;
}

static int wide_cmp(const wide_t *a, const wide_t *b)
{
    for (int i = LIMBS - 1; i >= 0; i--) {
        if (a->limb[i] != b->limb[i]) {
            return a->limb[i] < b->limb[i] ? -1 : 1;
        }
    }
    return 0;
}

static u128_t abs64(int64_t v)
{
    return v < 0 ? (u128_t)(-(i128_t)v) : (u128_t)v;
}

static wide_t wide_mul128(wide_t a, u128_t f)
{
    wide_t       low   = wide_mul(a, (uint64_t)f);
    const wide_t top   = wide_mul(a, (uint64_t)(f >> 64));
    uint64_t     carry = 0;
    for (int i = 2; i < LIMBS; i++) {
        carry += (uint64_t)low.limb[i] + top.limb[i - 2];
        low.limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return low;
}

typedef struct fraction { /* size of an exact value in units of 10^-(money_exp + digits) */
    wide_t n;
    wide_t d;
    bool   negative;
} fraction_t;

static fraction_t exact_value(const instrument_def_t *def, int64_t px, int64_t qty, int digits)
{
    fraction_t f = {.d = wide_of(1)};
    f.n          = wide_mul(wide_of(abs64(qty)), (uint64_t)def->mult);
    f.n          = wide_ten(f.n, def->money_exp + digits);
    if (def->kind == INSTRUMENT_INVERSE) {
        f.n        = wide_ten(f.n, def->px_exp);
        f.d        = wide_ten(wide_mul(f.d, (uint64_t)px), def->qty_exp + def->mult_exp);
        f.negative = qty > 0;
    } else {
        f.n        = wide_mul(f.n, (uint64_t)abs64(px));
        f.d        = wide_ten(f.d, def->px_exp + def->qty_exp + def->mult_exp);
        f.negative = (px < 0) != (qty < 0) && px != 0 && qty != 0;
    }
    return f;
}

/* Is w = ceil(n / d), or floor(n / d)? By multiplication only: (w - 1) * d < n <= w * d, w * d <= n < (w + 1) * d. */
static bool is_rounded(const fraction_t *f, u128_t w, bool up)
{
    const wide_t at = wide_mul128(f->d, w);
    if (up) {
        const wide_t below = wide_mul128(f->d, w == 0 ? 0 : w - 1);
        return wide_cmp(&f->n, &at) <= 0 && (w == 0 || wide_cmp(&below, &f->n) < 0);
    }
    const wide_t above = wide_mul128(f->d, w + 1);
    return wide_cmp(&at, &f->n) <= 0 && wide_cmp(&f->n, &above) < 0;
}

static bool larger_than(const fraction_t *f, u128_t limit)
{
    const wide_t at = wide_mul128(f->d, limit);
    return wide_cmp(&f->n, &at) > 0;
}

static instrument_def_t rnd_def(void)
{
    instrument_def_t def = linear_def();
    def.kind             = (uint8_t)(1 + rnd() % 3);
    def.allow_negative   = def.kind != INSTRUMENT_INVERSE;
    def.px_exp           = (int8_t)(rnd() % 7);
    def.qty_exp          = (int8_t)(rnd() % 7);
    def.money_exp        = (int8_t)(rnd() % 13);
    def.mult_exp         = def.kind == INSTRUMENT_SPOT ? 0 : (int8_t)(rnd() % 7);
    def.mult             = def.kind == INSTRUMENT_SPOT ? 1 : 1 + rnd_magnitude() / 2;
    return def;
}

#define MAX_127 ((u128_t)-1 >> 1)

static void test_value_is_exact_and_rounded_against_the_holder(void **state)
{
    (void)state;
    uint32_t fitting = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        const instrument_def_t def      = rnd_def();
        const instrument_t     ins      = make(&def, krx, 7);
        int64_t                px       = rnd_magnitude();
        int64_t                qty      = rnd() % 2 ? rnd_magnitude() : -rnd_magnitude() - 1;
        i128_t                 value    = 4711;
        int64_t                notional = 4711;
        px                              = def.kind == INSTRUMENT_INVERSE ? px + (px == 0) : rnd() % 2 ? px : -px - 1;
        const fraction_t nano           = exact_value(&def, px, qty, MONEY_NANO_EXP);
        if (instrument_value_nano(&ins, px, qty, &value)) {
            fitting++;
            const u128_t size = value < 0 ? -(u128_t)value : (u128_t)value;
            assert_true(is_rounded(&nano, size, nano.negative));
            assert_true(size == 0 || (value < 0) == nano.negative);
        } else {
            assert_true(value == 4711);
            assert_true(larger_than(&nano, MAX_127 - ((u128_t)1 << 64)));
        }
        const fraction_t money = exact_value(&def, px, qty, 0);
        if (instrument_notional(&ins, px, qty, &notional)) {
            assert_true(notional >= 0 && is_rounded(&money, (u128_t)notional, true));
        } else {
            assert_int_equal(notional, 4711);
            assert_true(larger_than(&money, INT64_MAX));
        }
        i128_t whole;
        assert_true(instrument_money(&ins, px, qty, &whole) == instrument_value_nano(&ins, px, qty, &value));
        if (instrument_money(&ins, px, qty, &whole)) { /* the floor of the floor of nano money */
            const u128_t size = whole < 0 ? -(u128_t)whole : (u128_t)whole;
            assert_true(is_rounded(&money, size, money.negative));
            assert_true(size == 0 || (whole < 0) == money.negative);
        }
    }
    assert_true(fitting > 50000);
}

static void test_value_examples(void **state)
{
    (void)state;
    i128_t           value    = 0;
    int64_t          notional = 0;
    instrument_def_t def      = linear_def(); /* 61602.1 x 0.5 = 30801.05 USDT */
    instrument_t     ins      = make(&def, (tick_band_t[]){{0, 1}}, 1);
    assert_true(instrument_value_nano(&ins, 616021, 500, &value));
    assert_true(value == (i128_t)3080105000000 * 1000000000);
    assert_true(instrument_notional(&ins, 616021, -500, &notional));
    assert_int_equal(notional, 3080105000000);

    def.kind = INSTRUMENT_INVERSE; /* 3 contracts of 100 USD at 60000.0 = 0.005 BTC; at 70000.0 = 0.00428571 and more */
    def.qty_exp = 0, def.mult = 100;
    ins = make(&def, (tick_band_t[]){{0, 1}}, 1);
    assert_true(instrument_value_nano(&ins, 600000, 3, &value));
    assert_true(value == -(i128_t)500000 * 1000000000);
    assert_true(instrument_value_nano(&ins, 700000, 3, &value));
    assert_true(value == -(i128_t)428571428571429);
    assert_true(instrument_value_nano(&ins, 700000, -3, &value));
    assert_true(value == (i128_t)428571428571428);
    assert_true(instrument_notional(&ins, 700000, 3, &notional));
    assert_int_equal(notional, 428572);
    assert_false(instrument_value_nano(&ins, 0, 3, &value));
    assert_false(instrument_value_nano(&ins, -5, 3, &value));
    assert_false(instrument_notional(&ins, 0, 3, &notional));
}

static void test_hash_sees_every_field(void **state)
{
    (void)state;
    instrument_def_t   def = linear_def();
    const instrument_t a   = make(&def, krx, 7);
    instrument_t       b   = make(&def, krx, 7);
    assert_int_equal(instrument_hash(1, &a), instrument_hash(1, &b));
    assert_int_not_equal(instrument_hash(1, &a), instrument_hash(2, &a));
    b = make(&def, krx, 6);
    assert_int_not_equal(instrument_hash(1, &a), instrument_hash(1, &b));
    assert_int_equal(instrument_init(&b, &def, "TEST2", krx, 7), ERR_OK);
    assert_int_not_equal(instrument_hash(1, &a), instrument_hash(1, &b));
    for (size_t i = 0; i < sizeof def; i++) {
        b = a;
        ((unsigned char *)&b.def)[i] ^= 1;
        assert_int_not_equal(instrument_hash(1, &a), instrument_hash(1, &b));
    }
}

int main(void)
{
    const char *seed = getenv("HWAL_SEED");
    rng_state        = seed != NULL ? strtoull(seed, NULL, 0) : 20240808;
    printf("HWAL_SEED=%llu\n", (unsigned long long)rng_state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instrument_init_refuses_each_field),
        cmocka_unit_test(test_ccy_round_trip),
        cmocka_unit_test(test_rounding_equals_walk_in_every_band),
        cmocka_unit_test(test_rounding_stays_in_int64_at_its_ends),
        cmocka_unit_test(test_value_is_exact_and_rounded_against_the_holder),
        cmocka_unit_test(test_value_examples),
        cmocka_unit_test(test_hash_sees_every_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
