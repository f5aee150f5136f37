#include "core/match/latency.h"

#include "core/types/num.h"

err_t latency_build(latency_t *out, const latency_bucket_t *buckets, uint32_t count, int64_t scale_e6)
{
    u128_t  total = 0, sum = 0;
    int64_t last = -1;
    if (scale_e6 <= 0) {
        return err_set(ERR_ARG, "latency: scale is %lld e-6, limit above 0", (long long)scale_e6);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (buckets[i].ns <= last) {
            return err_set(ERR_ARG, "latency: bucket %u ends at %lld ns, the one before at %lld", i,
                           (long long)buckets[i].ns, (long long)last);
        }
        last = buckets[i].ns;
        total += buckets[i].count;
    }
    if (total == 0 || total > INT64_MAX) {
        return err_set(total == 0 ? ERR_ARG : ERR_RANGE, "latency: %s in all buckets together, limit 1..2^63-1",
                       total == 0 ? "nothing" : "more than 2^63-1");
    }
    out->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (buckets[i].count == 0) {
            continue;
        }
        const i128_t ns = div_ceil(mul_i64(buckets[i].ns, scale_e6), LATENCY_SCALE_ONE);
        if (ns > LATENCY_MAX_NS) {
            return err_set(ERR_RANGE, "latency: bucket %u at %lld ns times %lld e-6, limit %lld ns", i,
                           (long long)buckets[i].ns, (long long)scale_e6, LATENCY_MAX_NS);
        }
        if (out->count == LATENCY_POINTS_MAX) {
            return err_set(ERR_LIMIT, "latency: more than %u buckets that are not empty", LATENCY_POINTS_MAX);
        }
        sum += buckets[i].count;
        out->points[out->count++] = (latency_point_t){.ns = (int64_t)ns, .below = (uint64_t)((sum << 32) / total)};
    }
    return ERR_OK;
}

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z          = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z          = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

int64_t latency_draw(const latency_t *latency, uint64_t *state)
{
    const uint64_t r   = splitmix64(state) >> 32;
    uint64_t       low = 0, high = latency->count - 1; /* the last point's below is above every r */
    while (low < high) {
        const uint64_t mid = (low + high) / 2;
        if (r < latency->points[mid].below) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return latency->points[low].ns;
}

int64_t latency_slowest(const latency_t *latency)
{
    return latency->points[latency->count - 1].ns;
}
