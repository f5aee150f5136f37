/* algo: when an execution algorithm sends how much: pure schedules.
 *
 *   start                                                   end        n slots of equal length; in slot k, 0 .. n - 1, what
 *   |── slot 0 ──|── slot 1 ──|── ...            ──| slot n-1 |        is to have left by its end is algo_target(k) in all
 *
 * TWAP      the same quantity in each slot; what does not divide is spread, so no two slots differ by more than a lot.
 * VWAP      by the instrument's volume curve: quantity in proportion to the volume of the half hours that a slot covers.
 * ICEBERG   display_qty, again and again: no schedule, algo_iceberg() alone.
 * Targets are rounded down to the lot, but the last is the whole: nothing is left over, nothing is sent twice.
 *
 * Curve     48 half hours of the UTC day: of each the volume of the days before, where a day weighs 7/8 of the day after it;
 *           of today's nothing counts before it is over. Before the first whole day, and where no volume lies between start
 *           and end, VWAP is TWAP.
 *
 * All integers, 128-bit products, no state but the curve (plain data, no padding); deterministic: no jitter.
 * Units     as order.h; times UTC nanoseconds; volume in the instrument's quantity scale. */
#pragma once

#include "core/types/msg.h"
#include "core/types/num.h"
#include "core/types/time.h"

#define ALGO_HALF_HOURS 48u
#define ALGO_HALF_HOUR_NS (1800 * NS_PER_S)
#define ALGO_SLOT_NS (60 * NS_PER_S)     /* a slot, where its owner leaves their number to us */
#define ALGO_VOLUME_MAX (INT64_MAX / 64) /* of a half hour; more counts as so much          */

typedef struct algo_curve {
    int64_t past[ALGO_HALF_HOURS];
    int64_t today[ALGO_HALF_HOURS];
    int64_t day;  /* of today: days since the epoch */
    int64_t days; /* whole days that past knows */
} algo_curve_t;

typedef struct algo_plan {
    int64_t             start_utc_ns;
    int64_t             end_utc_ns; /* > start */
    int64_t             qty;        /* > 0, on the lot */
    int64_t             lot;
    uint32_t            slots; /* algo_slots() */
    const algo_curve_t *curve; /* NULL = TWAP */
} algo_plan_t;

/* algo_curve_learn: a trade. A first one of a later day ends the day before. O(1), O(48) at the end of a day. */
void algo_curve_learn(algo_curve_t *curve, int64_t utc_ns, int64_t qty);

/* algo_slots: how many slots: asked (0 = one each ALGO_SLOT_NS of the span), at most 255, and so few that each of TWAP is
 * at least min_qty; at least 1. */
uint32_t algo_slots(uint32_t asked, int64_t span_ns, int64_t qty, int64_t lot, int64_t min_qty);

/* algo_slot_ns: when slot k begins; k = slots: the end. algo_target: what is to have left by the end of slot k. */
int64_t algo_slot_ns(const algo_plan_t *plan, uint32_t k);
int64_t algo_target(const algo_plan_t *plan, uint32_t k);

/* algo_iceberg: the next slice of what is left. */
int64_t algo_iceberg(int64_t left, int64_t display_qty);
