#include "core/analytics/quality.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

typedef struct report {
    quality_finding_t *findings;
    size_t             room;
    size_t             count;
    size_t             index; /* of the bar that is looked at */
} report_t;

typedef struct spread {
    double mean;
    double deviation; /* 0 = there is none */
} spread_t;

static void found(report_t *r, quality_rule_t rule, double value, double limit)
{
    if (r->count < r->room) {
        r->findings[r->count] = (quality_finding_t){rule, r->index, value, limit};
    }
    r->count++;
}

/* From the first close, so that what is squared is small beside the price. */
static spread_t spread_of(const bar_t *bars, size_t bar_count)
{
    double  sum = 0, squares = 0;
    size_t  n    = 0;
    int64_t base = 0;
    for (size_t i = 0; i < bar_count; i++) {
        if (bars[i].known & BAR_PX) {
            base = n == 0 ? bars[i].close : base;
            sum += (double)((i128_t)bars[i].close - base);
            n++;
        }
    }
    if (n == 0) {
        return (spread_t){0};
    }
    const double off = sum / (double)n;
    for (size_t i = 0; i < bar_count; i++) {
        if (bars[i].known & BAR_PX) {
            const double d = (double)((i128_t)bars[i].close - base) - off;
            squares += d * d;
        }
    }
    return (spread_t){(double)base + off, sqrt(squares / (double)n)};
}

static double seconds(i128_t ns)
{
    return (double)ns / 1e9;
}

static void check_times(report_t *r, const bar_t *bar, const bar_t *before, const quality_limits_t *limits)
{
    if (bar->ts_begin_ns <= 0) {
        found(r, QUALITY_TS, seconds(bar->ts_begin_ns), 0);
    } else if (bar->ts_end_ns < bar->ts_begin_ns) {
        found(r, QUALITY_TS, seconds(bar->ts_end_ns), seconds(bar->ts_begin_ns));
    }
    if (before == NULL) {
        return;
    }
    const i128_t step = (i128_t)bar->ts_begin_ns - before->ts_begin_ns;
    if (step <= 0) {
        found(r, QUALITY_ORDER, seconds(bar->ts_begin_ns), seconds(before->ts_begin_ns));
    } else if (step > limits->gap_ns) {
        found(r, QUALITY_GAP, seconds(step), seconds(limits->gap_ns));
    }
}

static void check_prices(report_t *r, const bar_t *bar)
{
    const int64_t lower  = min_i64(bar->open, bar->close);
    const int64_t upper  = max_i64(bar->open, bar->close);
    const int64_t lowest = min_i64(min_i64(bar->low, bar->high), lower);
    if (lowest <= 0) {
        found(r, QUALITY_PX, (double)lowest, 0);
    }
    if (bar->low > lower) {
        found(r, QUALITY_LOW, (double)bar->low, (double)lower);
    }
    if (bar->high < upper) {
        found(r, QUALITY_HIGH, (double)bar->high, (double)upper);
    }
}

/* last: the close before, 0 = none. */
static void check_close(report_t *r, int64_t close, int64_t last, const quality_limits_t *limits, spread_t spread)
{
    const double change = last > 0 ? fabs((double)((i128_t)close - last)) / (double)last : 0;
    if (change >= limits->change) {
        found(r, QUALITY_CHANGE, change, limits->change);
    }
    const double z = spread.deviation > 0 ? fabs((double)close - spread.mean) / spread.deviation : 0;
    if (z > limits->z) {
        found(r, QUALITY_Z, z, limits->z);
    }
}

err_t quality_check(const bar_t *bars, size_t bar_count, const quality_limits_t *limits, quality_finding_t *findings,
                    size_t room, size_t *count)
{
    if (!(limits->change > 0) || !(limits->z > 0) || limits->gap_ns <= 0) {
        return err_set(ERR_ARG, "quality: limits change %g, z %g, gap %" PRId64 " ns: must all be above 0",
                       limits->change, limits->z, limits->gap_ns);
    }
    const spread_t spread = spread_of(bars, bar_count);
    report_t       r      = {.findings = findings, .room = room};
    int64_t        last   = 0;
    for (size_t i = 0; i < bar_count; i++) {
        const bar_t *bar   = &bars[i];
        const bool   price = bar->known & BAR_PX;
        r.index            = i;
        check_times(&r, bar, i > 0 ? bar - 1 : NULL, limits);
        if (price) {
            check_prices(&r, bar);
        }
        if (bar->qty < 0) {
            found(&r, QUALITY_QTY, (double)bar->qty, 0);
        }
        if (price) {
            check_close(&r, bar->close, last, limits, spread);
            last = bar->close > 0 ? bar->close : last;
        }
    }
    *count = r.count;
    if (r.count > room) {
        return err_set(ERR_LIMIT, "quality: %zu findings, room for %zu", r.count, room);
    }
    return ERR_OK;
}

uint32_t quality_trade(quality_tape_t *tape, const quality_limits_t *limits, int64_t ts_ns, int64_t px, int64_t qty)
{
    assert(limits->change > 0 && limits->gap_ns > 0);
    uint32_t broken = 0;
    if (ts_ns <= 0) {
        broken |= 1u << QUALITY_TS;
    } else if (tape->ts_ns != 0) {
        broken |= ts_ns < tape->ts_ns ? 1u << QUALITY_ORDER : 0;
        broken |= (i128_t)ts_ns - tape->ts_ns > limits->gap_ns ? 1u << QUALITY_GAP : 0;
    }
    broken |= px <= 0 ? 1u << QUALITY_PX : 0;
    broken |= qty <= 0 ? 1u << QUALITY_QTY : 0;
    if (tape->px > 0 && fabs((double)((i128_t)px - tape->px)) / (double)tape->px >= limits->change) {
        broken |= 1u << QUALITY_CHANGE;
    }
    for (uint32_t rule = QUALITY_TS; rule < QUALITY_RULES; rule++) {
        tape->findings[rule] += broken >> rule & 1;
    }
    tape->trades++;
    tape->bad += broken != 0;
    tape->ts_ns = ts_ns > 0 ? ts_ns : tape->ts_ns;
    tape->px    = px > 0 ? px : tape->px;
    return broken;
}

const char *quality_rule_str(quality_rule_t rule)
{
    static const char *const names[QUALITY_RULES] = {"?",   "TS",   "ORDER", "GAP",    "PX",
                                                     "LOW", "HIGH", "QTY",   "CHANGE", "Z"};
    return rule > 0 && rule < QUALITY_RULES ? names[rule] : names[0];
}
