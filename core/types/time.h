/* time: the pair of clocks that comes with every input record. Core never reads a clock.
 *
 * mono_ns  monotonic: ages, windows, timers. In a replay it is the recorded receive time, so that the run repeats.
 * utc_ns   UTC since the Unix epoch: what is written on reports. */
#pragma once

#include <stdint.h>

typedef struct now {
    int64_t mono_ns;
    int64_t utc_ns;
} now_t;

#define NS_PER_DAY 86400000000000LL
#define NS_PER_S 1000000000LL
#define NS_PER_MS 1000000LL
#define NS_PER_US 1000LL
