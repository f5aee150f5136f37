#include "core/order/algo.h"

#include <assert.h>

#define SLOTS_MAX 255

void algo_curve_learn(algo_curve_t *c, int64_t utc_ns, int64_t qty)
{
    const int64_t day = utc_ns / NS_PER_DAY;
    if (day > c->day) {
        for (uint32_t i = 0; c->day != 0 && i < ALGO_HALF_HOURS; i++) {
            c->past[i] = min_i64(c->past[i] - c->past[i] / 8 + c->today[i], ALGO_VOLUME_MAX);
        }
        for (uint32_t i = 0; i < ALGO_HALF_HOURS; i++) {
            c->today[i] = 0;
        }
        c->days += c->day != 0;
        c->day = day;
    }
    if (day == c->day && qty > 0) { /* one that comes late, from yesterday, is in neither */
        int64_t *at = &c->today[utc_ns % NS_PER_DAY / ALGO_HALF_HOUR_NS];
        *at += min_i64(qty, ALGO_VOLUME_MAX - *at);
    }
}

/* Volume from the beginning of time to utc_ns, in ns of a half hour, if all days were as the curve says. */
static i128_t curve_until(const algo_curve_t *c, int64_t utc_ns)
{
    const int64_t  in_day = utc_ns % NS_PER_DAY;
    const uint32_t now    = (uint32_t)(in_day / ALGO_HALF_HOUR_NS);
    i128_t         whole = 0, before = 0;
    for (uint32_t i = 0; i < ALGO_HALF_HOURS; i++) {
        whole += c->past[i];
        before += i < now ? c->past[i] : 0;
    }
    return (whole * (utc_ns / NS_PER_DAY) + before) * ALGO_HALF_HOUR_NS +
           mul_i64(c->past[now], in_day % ALGO_HALF_HOUR_NS);
}

uint32_t algo_slots(uint32_t asked, int64_t span_ns, int64_t qty, int64_t lot, int64_t min_qty)
{
    const int64_t least = (max_i64(min_qty, lot) + lot - 1) / lot; /* lots of the smallest order */
    const int64_t wish  = asked ? asked : span_ns / ALGO_SLOT_NS;
    return (uint32_t)max_i64(1, min_i64(min_i64(wish, SLOTS_MAX), qty / lot / least));
}

int64_t algo_slot_ns(const algo_plan_t *p, uint32_t k)
{
    return p->start_utc_ns + (int64_t)(((i128_t)p->end_utc_ns - p->start_utc_ns) * k / p->slots);
}

int64_t algo_target(const algo_plan_t *p, uint32_t k)
{
    assert(k < p->slots);
    const int64_t lots = p->qty / p->lot;
    if (p->curve) {
        const i128_t from = curve_until(p->curve, p->start_utc_ns);
        const i128_t all  = curve_until(p->curve, p->end_utc_ns) - from;
        const i128_t part = curve_until(p->curve, algo_slot_ns(p, k + 1)) - from;
        if (all > 0) {
            /* the product must fit: part and all lose the same low bits, and part <= all stays true */
            unsigned shift = 0;
            while (all >> shift > INT64_MAX) {
                shift++;
            }
            return (int64_t)((part >> shift) * lots / (all >> shift)) * p->lot;
        }
    }
    return (int64_t)((i128_t)lots * (k + 1) / p->slots) * p->lot;
}

int64_t algo_iceberg(int64_t left, int64_t display_qty)
{
    return min_i64(left, display_qty);
}
