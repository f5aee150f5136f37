/* histogram: counts of non-negative values with three significant digits, in memory that several processes map: one
 * writer, any readers, who read while it writes. Never reset: a reader who wants an interval takes two copies and
 * subtracts, and the writer begins an epoch every ten seconds, in constant time, whose own largest value is exact.
 *
 *   value  0 .. 2047          one counter each
 *          2048 .. 2^40 - 1   per power of two 1024 counters: a counter spans at most 1/1024 of its value
 *          above              counted in the last counter; max keeps the exact value
 *
 *   head     magic, counters, epochs, unit             set by new, then never          bytes 0..127
 *   writer   count, sum, bar, epoch                    the writer's line               bytes 128..255
 *   life     largest value of all, and its event       written when there is a larger  bytes 256..383
 *   epochs   the last 64, number n in place (n-1)%64   a line each                     bytes 384..4479
 *   counters                                                                           bytes 4480..
 *
 * Maximum  a value and the sequence of the event that it belongs to, behind a sequence lock of their line (even = whole):
 *          nobody sees the value of one event beside the sequence of another. Of equal values the first one stays.
 *          `bar` is the smallest value that is larger than the epoch's maximum: record compares with it and nothing else.
 * Order    The writer stores maximum, sum, counter (release), count (release). A reader of `count` (acquire) finds at
 *          least so many events in the counters when it reads them afterwards; histogram_copy reads the counters first
 *          and the maximum last, so no counted value is above the copy's max. In a copy, count is the sum of its counters:
 *          copies can be subtracted and merged and stay so. `sum` may be one event ahead of or behind the counters.
 * Epochs   histogram_epoch, called while housekeeping, begins the next one when HISTOGRAM_EPOCH_NS have passed: number,
 *          clock, count and sum at its beginning. What it counted is the next one's beginning minus its own.
 * Death    A writer that dies in the middle of a maximum leaves that line odd: the value is then said by the counters (a
 *          bound, of three digits below 2^40) and the sequence is 0, unknown. Everything else stays readable.
 * Owner    one writer thread; memory the caller's (zeroed). Readers need no write access. Nothing allocates or blocks.
 * Units    of the values: as the object says ("ns", "ticks"); clocks are CLOCK_MONOTONIC ns.
 * Errors   a join that refuses: ERR_PARSE and a sentence.
 * Source   the bucket scheme of HdrHistogram's published description. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"

#define HISTOGRAM_BITS 40
#define HISTOGRAM_COUNTERS (2048 + (HISTOGRAM_BITS - 11) * 1024)
#define HISTOGRAM_EPOCHS 64
#define HISTOGRAM_EPOCH_NS 10000000000ll
#define HISTOGRAM_UNIT_BYTES 16

typedef struct histogram_span { /* a time and its largest value; the whole life, or an epoch */
    _Atomic uint64_t lock;      /* odd while it is written */
    _Atomic uint64_t number;    /* of the epoch, from 1; 0 of the life */
    _Atomic int64_t  began_ns;  /* monotonic clock */
    _Atomic uint64_t count;     /* at its beginning */
    _Atomic uint64_t sum;
    _Atomic uint64_t max; /* of its own values */
    _Atomic uint64_t max_seq;
    uint64_t         reserved;
} histogram_span_t;

typedef struct histogram { /* lies in shared memory */
    uint64_t         magic;
    uint32_t         counters; /* HISTOGRAM_COUNTERS */
    uint32_t         epochs;   /* HISTOGRAM_EPOCHS */
    char             unit[HISTOGRAM_UNIT_BYTES];
    uint8_t          pad[96];
    _Atomic uint64_t count;
    _Atomic uint64_t sum;
    uint64_t         bar; /* the writer's alone */
    _Atomic uint64_t epoch;
    uint8_t          pad2[96];
    histogram_span_t life;
    uint8_t          pad3[64];
    histogram_span_t span[HISTOGRAM_EPOCHS];
    _Atomic uint64_t counter[HISTOGRAM_COUNTERS];
} histogram_t;

_Static_assert(sizeof(histogram_span_t) == 64, "an epoch is a line");
_Static_assert(offsetof(histogram_t, count) == 128, "writer's line");
_Static_assert(offsetof(histogram_t, life) == 256, "rarely written lines");
_Static_assert(offsetof(histogram_t, span) == 384, "epochs");
_Static_assert(offsetof(histogram_t, counter) == 4480 && sizeof(histogram_t) == 4480 + 8 * HISTOGRAM_COUNTERS,
               "mapped by others: bump SEGMENT_VERSION");

typedef struct histogram_copy { /* local: what a reader works on; 248 KiB */
    uint64_t count;             /* the sum of its counters */
    uint64_t sum;
    uint64_t max;
    uint64_t max_seq; /* of max's event; 0 = not known, and then max is a bound */
    uint64_t counter[HISTOGRAM_COUNTERS];
} histogram_copy_t;

typedef struct histogram_epoch { /* local: one epoch as a reader sees it */
    uint64_t number;
    int64_t  began_ns;
    int64_t  ended_ns; /* 0 = it is still running */
    uint64_t count;    /* of its own */
    uint64_t sum;
    uint64_t max;
    uint64_t max_seq; /* 0 = there was nothing, or it is not known (then max is 0 too) */
} histogram_epoch_t;

/* Life cycle: align 128. histogram_new formats zeroed memory, magic last, and begins epoch 1; NULL when unit is empty or
 * does not fit. histogram_join: a reader's, histogram_writer_join: the writer's handle of an object of `bytes` bytes. */
size_t       histogram_footprint(void);
histogram_t *histogram_new(void *mem, const char *unit, int64_t mono_ns);
err_t        histogram_join(const void *mem, size_t bytes, const histogram_t **out);
err_t        histogram_writer_join(void *mem, size_t bytes, histogram_t **out);

/* ---- writer ---------------------------------------------------------------------------------------------------------- */
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

/* histogram_record: one value, and the sequence of the event that it belongs to (from 1; 0 = none).
 *   Cost  a few ns: four lines that are its own; histogram_maximum only for a new maximum of the epoch
 * histogram_maximum: that part. */
void               histogram_maximum(histogram_t *h, uint64_t value, uint64_t seq);
static inline void histogram_record(histogram_t *h, uint64_t value, uint64_t seq)
{
    if (value >= h->bar) {
        histogram_maximum(h, value, seq);
    }
    _Atomic uint64_t *counter = &h->counter[histogram_index(value)];
    atomic_store_explicit(&h->sum, atomic_load_explicit(&h->sum, memory_order_relaxed) + value, memory_order_relaxed);
    /* release: who finds the value counted finds it in max too */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_release);
    /* release: who finds the count finds the value counted */
    atomic_store_explicit(&h->count, atomic_load_explicit(&h->count, memory_order_relaxed) + 1, memory_order_release);
}

/* histogram_epoch: begin the next epoch if the running one is HISTOGRAM_EPOCH_NS old. Cost: a load and a compare; a line
 * when it does. */
void histogram_epoch(histogram_t *h, int64_t mono_ns);

/* ---- readers --------------------------------------------------------------------------------------------------------- */
/* histogram_count: events so far. Cost: a load. */
static inline uint64_t histogram_count(const histogram_t *h)
{
    return atomic_load_explicit(&h->count, memory_order_acquire);
}

/* histogram_copy: everything since the object was made, while it is written. Cost: 248 KiB, some 20 us.
 * histogram_epoch_at: epoch number as it stands now; 1 .. the newest (histogram_epoch_newest), of which the last 64 are
 * kept. ERR_NOT_FOUND (no sentence): never begun, or overwritten; *out untouched. */
void     histogram_copy(const histogram_t *h, histogram_copy_t *out);
uint64_t histogram_epoch_newest(const histogram_t *h);
err_t    histogram_epoch_at(const histogram_t *h, uint64_t number, histogram_epoch_t *out);

/* histogram_minus: *later becomes what was recorded between the two copies of one histogram. Its max is exact, with its
 * sequence, when it was set in between, else the bound that the counters give. ERR_STATE (and a sentence) when `earlier`
 * is not an earlier copy of the same object (a new life counts from nothing): *later is untouched.
 * histogram_merge: *into becomes the values of both (roles, lives, windows); max and its sequence are the larger one's. */
err_t histogram_minus(histogram_copy_t *later, const histogram_copy_t *earlier);
void  histogram_merge(histogram_copy_t *into, const histogram_copy_t *other);

/* histogram_quantile: the highest value of the counter in which the quantile (in millionths: 500000 = median) lies; never
 * above max; 0 when empty. Cost: O(counters). */
uint64_t histogram_quantile(const histogram_copy_t *copy, uint32_t millionths);
/* histogram_lowest, histogram_highest: of the values that counter index stands for; the last one's highest is 2^64 - 1. */
uint64_t histogram_lowest(uint32_t index);
uint64_t histogram_highest(uint32_t index);
