/* num: 128-bit products and exact powers of ten, for money that never passes through floating point.
 *
 * Every product of two 64-bit scaled integers is formed in i128_t and brought back to int64 by a function that says
 * which way it rounds; what does not fit comes back as false, never wrapped. All pure; no state, no allocation. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef __int128          i128_t;
__extension__ typedef unsigned __int128 u128_t;

#define POW10_MAX 18 /* 10^18 is the largest power in an int64 */

/* pow10_i64: 10^n for 0 <= n <= POW10_MAX. */
static inline int64_t pow10_i64(unsigned n)
{
    static const int64_t table[POW10_MAX + 1] = {1,
                                                 10,
                                                 100,
                                                 1000,
                                                 10000,
                                                 100000,
                                                 1000000,
                                                 10000000,
                                                 100000000,
                                                 1000000000,
                                                 10000000000,
                                                 100000000000,
                                                 1000000000000,
                                                 10000000000000,
                                                 100000000000000,
                                                 1000000000000000,
                                                 10000000000000000,
                                                 100000000000000000,
                                                 1000000000000000000};
    return table[n];
}

static inline i128_t mul_i64(int64_t a, int64_t b)
{
    return (i128_t)a * b;
}

/* div_floor, div_ceil: exact quotient rounded towards -inf, +inf; d > 0. div_floor is in 64 bits where both fit: a 128-bit
 * division is a call and costs several times as much. */
static inline i128_t div_floor(i128_t n, i128_t d)
{
    if (n == (int64_t)n && d == (int64_t)d) {
        const int64_t short_q = (int64_t)n / (int64_t)d;
        return (int64_t)n % (int64_t)d < 0 ? short_q - 1 : short_q;
    }
    const i128_t q = n / d;
    return n % d < 0 ? q - 1 : q;
}

static inline i128_t div_ceil(i128_t n, i128_t d)
{
    const i128_t q = n / d;
    return n % d > 0 ? q + 1 : q;
}

/* fit_i64: true and *out set when v fits an int64; false and *out untouched when not. */
static inline bool fit_i64(i128_t v, int64_t *out)
{
    const int64_t low = (int64_t)v;
    if (low != v) {
        return false;
    }
    *out = low;
    return true;
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}
static inline int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
