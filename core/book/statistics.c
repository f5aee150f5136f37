#include "core/book/statistics.h"

#include "core/types/num.h"
#include "core/types/time.h"

static int64_t day_of(int64_t utc_ns)
{
    return utc_ns / NS_PER_DAY;
}

void statistics_new(statistics_t *s, uint32_t instrument_id, int64_t utc_ns)
{
    *s = (statistics_t){.instrument_id = instrument_id, .day_utc_ns = day_of(utc_ns) * NS_PER_DAY};
}

static void day_begin(statistics_t *s, int64_t day)
{
    const bool traded = s->trades != 0;
    *s                = (statistics_t){.instrument_id  = s->instrument_id,
                                       .day_utc_ns     = day * NS_PER_DAY,
                                       .prev_close_px  = traded ? s->last_px : s->prev_close_px,
                                       .prev_close_qty = traded ? s->last_qty : s->prev_close_qty};
}

void statistics_roll(statistics_t *s, int64_t utc_ns)
{
    const int64_t today = day_of(utc_ns), day = day_of(s->day_utc_ns);
    if (day != today && day != today + 1) {
        day_begin(s, today);
    }
}

/* Volume and turnover, or that they end here. */
static bool sum(statistics_t *s, const trade_t *trade)
{
    i128_t  turnover = (i128_t)((u128_t)(uint64_t)s->turnover_hi << 64 | s->turnover_lo);
    int64_t volume;
    if (s->flags & STATISTICS_OVERFLOW) {
        return false;
    }
    if (__builtin_add_overflow(s->volume, trade->qty, &volume) ||
        __builtin_add_overflow(turnover, mul_i64(trade->px, trade->qty), &turnover)) {
        s->flags |= STATISTICS_OVERFLOW;
        return true;
    }
    s->volume      = volume;
    s->turnover_hi = (int64_t)(turnover >> 64);
    s->turnover_lo = (uint64_t)turnover;
    return false;
}

bool statistics_trade(statistics_t *s, const instrument_t *ins, const trade_t *trade, int64_t utc_ns)
{
    const int64_t today = day_of(utc_ns);
    const int64_t ts = trade->ts_event_ns > 0 ? trade->ts_event_ns : trade->ts_recv_ns > 0 ? trade->ts_recv_ns : utc_ns;
    const int64_t day = day_of(ts);
    const bool    bad = trade->qty <= 0 || (trade->px <= 0 && !ins->def.allow_negative);
    statistics_roll(s, utc_ns);
    if (!bad && day == today + 1 && day_of(s->day_utc_ns) == today) {
        day_begin(s, day);
    }
    if (bad || day < day_of(s->day_utc_ns)) {
        s->uncounted++;
        return false;
    }
    const bool first = s->trades++ == 0;
    s->open_px       = first ? trade->px : s->open_px;
    s->high_px       = first ? trade->px : max_i64(s->high_px, trade->px);
    s->low_px        = first ? trade->px : min_i64(s->low_px, trade->px);
    s->last_px       = trade->px;
    s->last_qty      = trade->qty;
    s->last_ts_ns    = ts;
    return sum(s, trade);
}

statistics_t statistics_show(const statistics_t *s)
{
    statistics_t shown    = *s;
    const i128_t turnover = (i128_t)((u128_t)(uint64_t)s->turnover_hi << 64 | s->turnover_lo);
    shown.vwap_px         = s->volume > 0 ? (int64_t)(turnover / s->volume) : 0; /* between the lowest and highest px */
    return shown;
}
