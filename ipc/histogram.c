#include "ipc/histogram.h"

#include "core/types/num.h"

static uint64_t highest_of(uint32_t index)
{
    if (index < 2048) {
        return index;
    }
    const uint32_t top = 11u + (index - 2048u) / 1024u;
    const uint64_t low = (1024ull + (index - 2048u) % 1024u) << (top - 10u);
    return low + (1ull << (top - 10u)) - 1;
}

uint64_t histogram_quantile(const histogram_t *h, uint32_t millionths)
{
    if (h->count == 0) {
        return 0;
    }
    uint64_t rank = (uint64_t)(((u128_t)h->count * millionths + 999999) / 1000000);
    rank          = rank ? rank : 1;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        seen += h->counters[i];
        if (seen >= rank) {
            const uint64_t value = highest_of(i);
            return value > h->max || i == HISTOGRAM_COUNTERS - 1 ? h->max : value;
        }
    }
    return h->max;
}
