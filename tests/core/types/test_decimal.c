/* decimal: invariants checked
 *   - every text is refused or read exactly as the big-number model reads it, with the same error
 *   - what is not a number by the RFC's grammar (a POSIX regular expression here) is ERR_PARSE, and nothing else is
 *   - the result is untouched on failure; no byte outside text[0..len) is read
 *   - format then parse gives the integer back, for every scale; format writes exactly exp fraction digits
 * Seed: HWAL_SEED. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/types/decimal.h"
#include "tests/lib/decimal_model.h"

static uint64_t seed;

static uint64_t draw(void) /* splitmix64 */
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
    return (unsigned)(draw() % n);
}

/* decimal_parse of a copy that is exactly len bytes long, so that a sanitizer sees a read outside. */
static err_t parse(const char *text, size_t len, unsigned exp, int64_t *out)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    const err_t err = decimal_parse(copy, len, exp, out);
    free(copy);
    return err;
}

static void digits(char *out, unsigned len, bool whole)
{
    const unsigned manner = below(4); /* any digits; mostly zeros; nines; zeros behind */
    for (unsigned i = 0; i < len; i++) {
        const unsigned any = below(10);
        out[i] = (char)('0' + (manner == 0 ? any : manner == 1 ? (any == 0) : manner == 2 ? 9 : i < 2 ? any : 0));
    }
    out[len] = '\0';
    if (whole && len > 1 && out[0] == '0') {
        out[0] = '7';
    }
}

static void test_decimal_parse_equals_big_number_model(void **state)
{
    (void)state;
    unsigned seen[ERR_COUNT] = {0};
    for (int round = 0; round < 300000; round++) {
        char           whole[64], frac[64], tail[24] = "", text[256], want[64];
        const bool     negative = below(4) == 0;
        const unsigned exp      = below(DECIMAL_EXP_MAX + 1);
        digits(whole, 1 + below(below(8) == 0 ? 40 : 12), true);
        digits(frac, below(3) == 0 ? 0 : 1 + below(below(8) == 0 ? 40 : 12), false);
        if (below(4) == 0) {
            const int exponent = (int)below(below(8) == 0 ? 900 : 25) * (below(2) == 0 ? 1 : -1);
            snprintf(tail, sizeof tail, "%c%s%s%d", below(2) == 0 ? 'e' : 'E',
                     exponent < 0 ? "-"
                     : below(2)   ? "+"
                                  : "",
                     below(4) == 0 ? "00" : "", abs(exponent));
        }
        const int   len      = snprintf(text, sizeof text, "%s%s%s%s%s", negative ? "-" : "", whole,
                                 frac[0] != '\0' ? "." : "", frac, tail);
        int64_t     got      = 424242;
        const err_t expected = decimal_model_parse(text, (size_t)len, exp, want);
        const err_t err      = parse(text, (size_t)len, exp, &got);
        char        printed[64];
        snprintf(printed, sizeof printed, "%" PRId64, err == ERR_OK ? got : 0);
        if (err != expected || (err == ERR_OK ? strcmp(printed, want) != 0 : got != 424242)) {
            fail_msg("\"%s\" at %u: %s %s, model %s %s", text, exp, err_str(err), printed, err_str(expected), want);
        }
        seen[err]++;
    }
    assert_true(seen[ERR_OK] > 1000 && seen[ERR_SCALE] > 1000 && seen[ERR_RANGE] > 1000);
}

static void test_decimal_parse_refuses_what_the_grammar_refuses(void **state)
{
    (void)state;
    regex_t grammar;
    assert_int_equal(regcomp(&grammar, "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?$", REG_EXTENDED | REG_NOSUB),
                     0);
    unsigned good = 0;
    for (int round = 0; round < 300000; round++) {
        static const char alphabet[] = "0123456789000111..--+eE ,\"x";
        char              text[32];
        const unsigned    len = below(below(2) == 0 ? 6 : 24);
        for (unsigned i = 0; i < len; i++) {
            text[i] = alphabet[below(below(3) == 0 ? sizeof alphabet - 1 : 16)];
        }
        text[len]         = '\0';
        int64_t     out   = 0;
        const bool  match = regexec(&grammar, text, 0, NULL, 0) == 0;
        const err_t err   = parse(text, len, below(DECIMAL_EXP_MAX + 1), &out);
        if (match != (err != ERR_PARSE)) {
            fail_msg("\"%s\": %s", text, err_str(err));
        }
        good += match;
    }
    regfree(&grammar);
    assert_true(good > 1000);
}

static void test_decimal_parse_edges(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned    exp;
        err_t       err;
        int64_t     value;
    } cases[] = {
        {"9223372036854775807", 0, ERR_OK, INT64_MAX},
        {"-9223372036854775808", 0, ERR_OK, INT64_MIN},
        {"9223372036854775808", 0, ERR_RANGE, 0},
        {"-9223372036854775809", 0, ERR_RANGE, 0},
        {"9.223372036854775807", 18, ERR_OK, INT64_MAX},
        {"9.223372036854775808", 18, ERR_RANGE, 0},
        {"999999999999999999", 0, ERR_OK, 999999999999999999},
        {"999999999999999999", 18, ERR_RANGE, 0},
        {"-0", 8, ERR_OK, 0},
        {"0e99999999999999999999999", 0, ERR_OK, 0},
        {"1e-99999999999999999999999", 18, ERR_SCALE, 0},
        {"1e99999999999999999999999", 0, ERR_RANGE, 0},
        {"0.5", 0, ERR_SCALE, 0},
        {"10e-1", 0, ERR_OK, 1},
        {"00", 0, ERR_PARSE, 0},
        {"-", 0, ERR_PARSE, 0},
        {".5", 2, ERR_PARSE, 0},
        {"5.", 2, ERR_PARSE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t out = 0;
        assert_int_equal(parse(cases[i].text, strlen(cases[i].text), cases[i].exp, &out), cases[i].err);
        assert_int_equal(out, cases[i].value);
    }
    int64_t out = 77;
    assert_int_equal(parse("1\0", 2, 0, &out), ERR_PARSE);
    assert_int_equal(parse("", 0, 0, &out), ERR_PARSE);
    assert_int_equal(out, 77);
}

static void test_decimal_format_then_parse_is_identity(void **state)
{
    (void)state;
    static const int64_t edges[] = {0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN, INT64_MIN + 1, 1000000000000000000};
    for (int round = 0; round < 200000; round++) {
        const unsigned exp   = below(DECIMAL_EXP_MAX + 1);
        const int64_t  value = round < 190 ? edges[round / 19] : (int64_t)draw() >> below(64);
        char           text[DECIMAL_TEXT_MAX];
        int64_t        back = 0;
        const size_t   len  = decimal_format(value, round < 190 ? (unsigned)round % 19 : exp, text);
        const unsigned used = round < 190 ? (unsigned)round % 19 : exp;
        const char    *dot  = strchr(text, '.');
        assert_int_equal(len, strlen(text));
        assert_int_equal(dot != NULL ? strlen(dot + 1) : 0, used);
        assert_int_equal(parse(text, len, used, &back), ERR_OK);
        assert_int_equal(back, value);
    }
}

/* a x 10^18 + b printed in two halves by printf, the point put in by hand. */
static void test_decimal_format_i128_equals_printf(void **state)
{
    (void)state;
    for (int round = 0; round < 100000; round++) {
        const uint64_t high = draw() >> below(64);
        const uint64_t low  = draw() % 1000000000000000000u;
        const unsigned exp  = below(DECIMAL_EXP_MAX + 1);
        const bool     neg  = below(2) == 0 && (high | low) != 0;
        char           row[64], want[80], got[DECIMAL_TEXT_MAX];
        if (high > 0) {
            snprintf(row, sizeof row, "%" PRIu64 "%018" PRIu64, high, low);
        } else {
            snprintf(row, sizeof row, "%0*" PRIu64, (int)exp + 1, low);
        }
        const int split = (int)(strlen(row) - exp);
        snprintf(want, sizeof want, "%s%.*s%s%s", neg ? "-" : "", split, row, exp > 0 ? "." : "", row + split);
        const i128_t value = (i128_t)high * 1000000000000000000 + (i128_t)low;
        const size_t len   = decimal_format_i128(neg ? -value : value, exp, got);
        assert_string_equal(got, want);
        assert_int_equal(len, strlen(want));
    }
    char         got[DECIMAL_TEXT_MAX];
    const i128_t least = (i128_t)((u128_t)1 << 127);
    decimal_format_i128(least, 18, got);
    assert_string_equal(got, "-170141183460469231731.687303715884105728");
    decimal_format_i128(-(least + 1), 0, got);
    assert_string_equal(got, "170141183460469231731687303715884105727");
}

int main(void)
{
    const char *given = getenv("HWAL_SEED");
    seed              = given != NULL ? strtoull(given, NULL, 0) : 20240808;
    printf("HWAL_SEED=%" PRIu64 "\n", seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimal_parse_equals_big_number_model),
        cmocka_unit_test(test_decimal_parse_refuses_what_the_grammar_refuses),
        cmocka_unit_test(test_decimal_parse_edges),
        cmocka_unit_test(test_decimal_format_then_parse_is_identity),
        cmocka_unit_test(test_decimal_format_i128_equals_printf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
