/* latency: how long a message takes on one leg, drawn from what was once measured: a table of quantiles, made of the
 * buckets of a histogram (`hwal lat --json --buckets N`), and a seeded draw.
 *
 *      buckets {ns, count} ... ──latency_build──▶ points {ns, below} ──latency_draw(state)──▶ ns
 *
 *      a draw r is uniform in 0 .. 2^32 - 1; its value is that of the first point with r < below, where `below` is the
 *      share of all counts up to and with that point, in 2^-32: 4,294,967,296 at the last
 *
 * Rounding  against us: a bucket's value is its upper end, scaled and rounded up to a whole ns. Shares are rounded down, so
 *           what rounding leaves falls to the next slower point; a bucket that holds less than 2^-32 of all may be drawn
 *           never.
 * Wrong     draws are independent: real delays come in bursts, together with the market's own, and this model is too kind
 *           just then. Nothing is slower than the slowest that was measured.
 * Pure      the draw is a function of the state, a splitmix64 counter: equal seeds give equal latencies.
 * Memory    the caller's; 64 KiB a table, no pointers.
 * Limits    LATENCY_POINTS_MAX buckets that are not empty; ns 0..LATENCY_MAX_NS after scaling; counts together below 2^63. */
#pragma once

#include <stdint.h>

#include "core/types/err.h"

#define LATENCY_POINTS_MAX 4096u
#define LATENCY_MAX_NS 3600000000000LL /* an hour */
#define LATENCY_SCALE_ONE 1000000      /* scale is in 10^-6 */

typedef struct latency_bucket {
    int64_t  ns; /* upper end: nothing in it is above; rising from bucket to bucket */
    uint64_t count;
} latency_bucket_t;

typedef struct latency_point {
    int64_t  ns;
    uint64_t below;
} latency_point_t;

typedef struct latency {
    uint64_t        count; /* of points */
    latency_point_t points[LATENCY_POINTS_MAX];
} latency_t;

/* latency_build: a table from buckets, each ns times scale_e6 / 10^6. Empty buckets are left out.
 * Returns ERR_OK; ERR_ARG (nothing counted, ns not rising or negative, scale not above 0), ERR_RANGE (ns beyond an hour,
 * counts), ERR_LIMIT (points): a sentence, *out is not to be used. O(count). */
err_t latency_build(latency_t *out, const latency_bucket_t *buckets, uint32_t count, int64_t scale_e6);

/* latency_draw: the next one; *state moves on. O(log points). */
int64_t latency_draw(const latency_t *latency, uint64_t *state);

/* latency_slowest: no draw is above it. */
int64_t latency_slowest(const latency_t *latency);
