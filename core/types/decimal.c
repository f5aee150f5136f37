#include "core/types/decimal.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define FAST_LEN_MAX 18          /* any number of so many digits fits an int64                                  */
#define EXPONENT_MAX (1LL << 56) /* larger ones are held here: no text is long enough to bring such a one back  */
#define U64_DIGITS 19            /* any number of so many digits fits a uint64                                  */

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* A number taken apart. Its digits are int_digits and frac_digits; its value is those digits x 10^exponent. */
typedef struct parts {
    const char *digits; /* first digit; the point, if any, stands behind int_len of them */
    size_t      int_len;
    size_t      frac_len;
    int64_t     exponent; /* of the text, before the fraction is counted */
    bool        negative;
} parts_t;

/* The grammar of RFC 8259, section 6, over all of text[0..end). */
static bool split(const char *at, const char *end, parts_t *p)
{
    *p = (parts_t){0};
    if (at < end && *at == '-') {
        p->negative = true;
        at++;
    }
    p->digits = at;
    while (at < end && is_digit(*at)) {
        at++;
    }
    p->int_len = (size_t)(at - p->digits);
    if (p->int_len == 0 || (p->int_len > 1 && *p->digits == '0')) {
        return false;
    }
    if (at < end && *at == '.') {
        const char *frac = ++at;
        while (at < end && is_digit(*at)) {
            at++;
        }
        p->frac_len = (size_t)(at - frac);
        if (p->frac_len == 0) {
            return false;
        }
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        const bool minus = at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+')) {
            at++;
        }
        const char *first = at;
        for (; at < end && is_digit(*at); at++) {
            p->exponent = min_i64(p->exponent * 10 + (*at - '0'), EXPONENT_MAX);
        }
        if (at == first) {
            return false;
        }
        p->exponent = minus ? -p->exponent : p->exponent;
    }
    return at == end;
}

/* Any length, any exponent. What counts are the significant digits, from the first to the last that is not zero:
   they are few or the number does not fit, and the unit of the last one says whether the number is too fine. */
static err_t parse_exact(const char *text, size_t len, unsigned exp, int64_t *out)
{
    parts_t p;
    if (!split(text, text + len, &p)) {
        return ERR_PARSE;
    }
    const size_t point = p.int_len; /* index in digits at which the point stands, if there is one */
    const size_t span  = p.int_len + (p.frac_len > 0 ? 1 + p.frac_len : 0);
    size_t       first = 0;
    size_t       last  = span; /* behind the last significant digit */
    while (first < span && (p.digits[first] == '0' || p.digits[first] == '.')) {
        first++;
    }
    if (first == span) {
        *out = 0;
        return ERR_OK;
    }
    while (p.digits[last - 1] == '0' || p.digits[last - 1] == '.') {
        last--;
    }
    /* the last significant digit counts units of 10^unit in the scale of the result */
    const int64_t before = last <= point ? (int64_t)(point - last) : -(int64_t)(last - 1 - point);
    const int64_t unit   = before + p.exponent + (int64_t)exp;
    const size_t  digits = last - first - (first < point && last > point ? 1 : 0);
    if (unit < 0) {
        return ERR_SCALE;
    }
    if (unit > U64_DIGITS - (int64_t)digits) {
        return ERR_RANGE;
    }
    uint64_t value = 0;
    for (size_t i = first; i < last; i++) {
        if (i != point) {
            value = value * 10 + (uint64_t)(p.digits[i] - '0');
        }
    }
    value *= (uint64_t)pow10_i64((unsigned)unit); /* 1 <= digits <= 19 - unit: no overflow */
    if (value > (uint64_t)INT64_MAX + (p.negative ? 1 : 0)) {
        return ERR_RANGE;
    }
    *out = (int64_t)(p.negative ? 0 - value : value);
    return ERR_OK;
}

err_t decimal_parse(const char *text, size_t len, unsigned exp, int64_t *out)
{
    assert(exp <= DECIMAL_EXP_MAX);
    /* The shape that venues send: few digits, perhaps a point, no sign, no exponent, not finer than exp. Whatever
       this loop is not sure of goes to the exact one, which has the last word on every refusal too. */
    if (len <= FAST_LEN_MAX) {
        int64_t value = 0;
        size_t  i     = 0;
        for (; i < len && is_digit(text[i]); i++) {
            value = value * 10 + (text[i] - '0');
        }
        const size_t int_len = i;
        size_t       frac    = 0;
        if (i < len && text[i] == '.') {
            for (i++; i < len && is_digit(text[i]); i++, frac++) {
                value = value * 10 + (text[i] - '0');
            }
        }
        const bool grammar =
            i == len && int_len > 0 && (int_len == 1 || text[0] != '0') && (frac > 0 || int_len == len);
        if (grammar && frac <= exp && !__builtin_mul_overflow(value, pow10_i64(exp - (unsigned)frac), &value)) {
            *out = value;
            return ERR_OK;
        }
    }
    return parse_exact(text, len, exp, out);
}

size_t decimal_format(int64_t value, unsigned exp, char out[DECIMAL_TEXT_MAX])
{
    return decimal_format_i128(value, exp, out);
}

size_t decimal_format_i128(i128_t value, unsigned exp, char out[DECIMAL_TEXT_MAX])
{
    assert(exp <= DECIMAL_EXP_MAX);
    const u128_t unit = 1000000000000000000u; /* 10^18 */
    char         buf[DECIMAL_TEXT_MAX];
    char        *at    = buf + sizeof buf; /* written from the right */
    u128_t       high  = value < 0 ? 0 - (u128_t)value : (u128_t)value;
    unsigned     count = 0;
    do { /* 18 digits at a time: one 128-bit division for each such group, 64-bit ones within it */
        uint64_t low   = (uint64_t)(high % unit);
        high           = high / unit;
        unsigned group = 0;
        while (high > 0 ? group < 18 : (low > 0 || count <= exp)) {
            if (count == exp && exp > 0) {
                *--at = '.';
            }
            *--at = (char)('0' + low % 10);
            low /= 10;
            group++;
            count++;
        }
    } while (high > 0);
    if (value < 0) {
        *--at = '-';
    }
    const size_t len = (size_t)(buf + sizeof buf - at);
    memcpy(out, at, len);
    out[len] = '\0';
    return len;
}
