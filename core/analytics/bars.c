#include "core/analytics/bars.h"

#include <assert.h>
#include <inttypes.h>

enum { NOTHING = 0, OPEN, FULL };

err_t bars_init(bars_t *b, bar_rule_t rule, i128_t size)
{
    if (rule < BAR_TIME || rule > BAR_VALUE) {
        return err_set(ERR_ARG, "bars: rule %d, must be %d..%d", (int)rule, BAR_TIME, BAR_VALUE);
    }
    int64_t small;
    if (size <= 0 || ((rule == BAR_TIME || rule == BAR_TICKS) && !fit_i64(size, &small))) {
        return err_set(ERR_ARG, "bars: size must be 1..%" PRId64 " for time and trades, above 0 for the others",
                       INT64_MAX);
    }
    *b = (bars_t){.size = size, .rule = (uint32_t)rule, .floor_ns = INT64_MIN};
    return ERR_OK;
}

/* The interval that holds ts_ns. false: it does not fit 64 bits. */
static bool interval(const bars_t *b, int64_t ts_ns, int64_t *begin_ns, int64_t *end_ns)
{
    const i128_t begin = div_floor(ts_ns, b->size) * b->size;
    return fit_i64(begin, begin_ns) && fit_i64(begin + b->size, end_ns);
}

static bar_t nothing_in(int64_t begin_ns, int64_t end_ns)
{
    return (bar_t){.ts_begin_ns = begin_ns, .ts_end_ns = end_ns, .known = BAR_KNOWS_VALUE | BAR_KNOWS_TRADES};
}

static u128_t counted(const bars_t *b, const bar_t *bar)
{
    switch (b->rule) {
    case BAR_TICKS: return bar->trades;
    case BAR_VOLUME: return (u128_t)bar->qty;
    default: return bar->value < 0 ? -(u128_t)bar->value : (u128_t)bar->value;
    }
}

/* *sum = bar + part; times are the caller's. */
static err_t add(const bar_t *bar, const bar_t *part, bar_t *sum)
{
    bar_t s = *bar;
    if (__builtin_add_overflow(s.qty, part->qty, &s.qty) || __builtin_add_overflow(s.value, part->value, &s.value) ||
        __builtin_add_overflow(s.trades, part->trades, &s.trades)) {
        return err_set(ERR_RANGE, "bars: a sum of the bar at %" PRId64 " ns does not fit", bar->ts_begin_ns);
    }
    if (part->known & BAR_PX) {
        const bool first = !(s.known & BAR_PX);
        s.open           = first ? part->open : s.open;
        s.high           = first ? part->high : max_i64(s.high, part->high);
        s.low            = first ? part->low : min_i64(s.low, part->low);
        s.close          = part->close;
    }
    const uint64_t sums = bar->known & part->known & (BAR_KNOWS_VALUE | BAR_KNOWS_TRADES);
    s.known             = ((bar->known | part->known) & BAR_PX) | sums;
    s.value             = sums & BAR_KNOWS_VALUE ? s.value : 0;
    s.trades            = sums & BAR_KNOWS_TRADES ? s.trades : 0;
    *sum                = s;
    return ERR_OK;
}

static err_t late(bars_t *b, int64_t ts_ns)
{
    b->late++;
    return err_set(ERR_STATE, "bars: time %" PRId64 " ns is late, bars up to %" PRId64 " ns are finished", ts_ns,
                   b->floor_ns);
}

/* A trade in a TIME bar begins and ends at one instant; so may a bar of one trade that another rule made. */
static err_t fold_time(bars_t *b, const bar_t *part)
{
    int64_t begin_ns, end_ns;
    if (!interval(b, part->ts_begin_ns, &begin_ns,
                  &end_ns)) { /* before FULL, which promises that there is a bar to take */
        return err_set(ERR_RANGE, "bars: time %" PRId64 " ns: its interval does not fit 64 bits", part->ts_begin_ns);
    }
    if (b->state != NOTHING && part->ts_begin_ns >= b->bar.ts_end_ns) {
        return ERR_FULL;
    }
    if (part->ts_end_ns > end_ns) {
        return err_set(ERR_ARG, "bars: a bar of %" PRId64 "..%" PRId64 " ns does not lie within %" PRId64 "..%" PRId64,
                       part->ts_begin_ns, part->ts_end_ns, begin_ns, end_ns);
    }
    const bar_t before = b->state == NOTHING ? nothing_in(begin_ns, end_ns) : b->bar;
    const err_t sum    = add(&before, part, &b->bar);
    if (sum == ERR_OK) {
        b->state    = OPEN;
        b->floor_ns = b->bar.ts_begin_ns;
    }
    return sum;
}

static err_t fold_counted(bars_t *b, const bar_t *part)
{
    if (b->state == FULL) {
        return ERR_FULL;
    }
    const uint64_t need = b->rule == BAR_TICKS ? BAR_KNOWS_TRADES : b->rule == BAR_VALUE ? BAR_KNOWS_VALUE : 0;
    if ((part->known & need) != need) {
        return err_set(ERR_ARG, "bars: the bar at %" PRId64 " ns does not know its %s", part->ts_begin_ns,
                       need == BAR_KNOWS_VALUE ? "value" : "number of trades");
    }
    if (!(part->known & BAR_PX)) {
        return ERR_OK;
    }
    const bar_t before = b->state == NOTHING ? nothing_in(part->ts_begin_ns, part->ts_end_ns) : b->bar;
    const err_t err    = add(&before, part, &b->bar);
    if (err != ERR_OK) {
        return err;
    }
    b->bar.ts_begin_ns = min_i64(before.ts_begin_ns, part->ts_begin_ns);
    b->bar.ts_end_ns   = max_i64(before.ts_end_ns, part->ts_end_ns);
    b->state           = counted(b, &b->bar) >= (u128_t)b->size ? FULL : OPEN;
    return ERR_OK;
}

err_t bars_fold(bars_t *b, const bar_t *part)
{
    if (part->ts_end_ns < part->ts_begin_ns || part->qty < 0) {
        return err_set(ERR_ARG, "bars: the bar at %" PRId64 " ns ends before it begins or has a negative quantity",
                       part->ts_begin_ns);
    }
    if (!(part->known & BAR_PX) && (part->qty != 0 || part->value != 0 || part->trades != 0)) {
        return err_set(ERR_ARG, "bars: the bar at %" PRId64 " ns has a quantity, value or trades and no price",
                       part->ts_begin_ns);
    }
    if (part->ts_begin_ns < b->floor_ns) {
        return late(b, part->ts_begin_ns);
    }
    return b->rule == BAR_TIME ? fold_time(b, part) : fold_counted(b, part);
}

err_t bars_trade(bars_t *b, int64_t ts_ns, int64_t px, int64_t qty)
{
    if (qty <= 0) {
        return err_set(ERR_ARG, "bars: qty %" PRId64 " of the trade at %" PRId64 " ns, must be above 0", qty, ts_ns);
    }
    const bar_t trade = {.ts_begin_ns = ts_ns,
                         .ts_end_ns   = ts_ns,
                         .open        = px,
                         .high        = px,
                         .low         = px,
                         .close       = px,
                         .qty         = qty,
                         .value       = mul_i64(px, qty),
                         .trades      = 1,
                         .known       = BAR_PX | BAR_KNOWS_VALUE | BAR_KNOWS_TRADES};
    return bars_fold(b, &trade);
}

err_t bars_next(bars_t *b, int64_t now_ns, bar_t *out)
{
    assert(b->rule >= BAR_TIME && b->rule <= BAR_VALUE);
    if (b->rule != BAR_TIME) {
        if (b->state != FULL) {
            return ERR_EMPTY;
        }
        *out        = b->bar;
        b->floor_ns = b->bar.ts_end_ns;
        b->state    = NOTHING;
        return ERR_OK;
    }
    if (b->state == NOTHING || now_ns < b->bar.ts_end_ns) {
        return ERR_EMPTY;
    }
    int64_t next_end_ns;
    if (!fit_i64((i128_t)b->bar.ts_end_ns + b->size, &next_end_ns)) {
        return ERR_EMPTY; /* the end of time: the interval behind it cannot be opened, so this one stays open */
    }
    *out        = b->bar;
    b->bar      = nothing_in(out->ts_end_ns, next_end_ns);
    b->floor_ns = out->ts_end_ns;
    return ERR_OK;
}

bool bars_open(const bars_t *b, bar_t *out)
{
    if (b->state == NOTHING) {
        return false;
    }
    *out = b->bar;
    return true;
}
