/* histogram: counts of non-negative values with three significant digits, in memory that may be shared.
 *
 *   value  0 .. 2047          one counter each
 *          2048 .. 2^40 - 1   per power of two 1024 counters: a counter spans at most 1/1024 of its value
 *          above              counted in the last counter; max keeps the exact value
 *
 * One writer, any number of readers that need no consistency between counters (each is one aligned store). Plain data
 * without pointers. No allocation; record is a few instructions.
 * Source: the bucket scheme of HdrHistogram's published description. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_BITS 40
#define HISTOGRAM_COUNTERS (2048 + (HISTOGRAM_BITS - 11) * 1024)

typedef struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t sum;
    uint64_t counters[HISTOGRAM_COUNTERS];
} histogram_t;

static inline uint32_t histogram_index(uint64_t value)
{
    if (value < 2048) {
        return (uint32_t)value;
    }
    const unsigned top = 63u - (unsigned)__builtin_clzll(value);
    if (top >= HISTOGRAM_BITS) {
        return HISTOGRAM_COUNTERS - 1;
    }
    return 2048u + (top - 11u) * 1024u + ((uint32_t)(value >> (top - 10u)) & 1023u);
}

static inline void histogram_record(histogram_t *h, uint64_t value)
{
    h->count++;
    h->sum += value;
    h->max = value > h->max ? value : h->max;
    h->counters[histogram_index(value)]++;
}

/* histogram_quantile: the highest value of the counter in which the quantile (in millionths: 500000 = median) lies;
 * never above max; 0 when empty. O(counters). */
uint64_t histogram_quantile(const histogram_t *h, uint32_t millionths);
