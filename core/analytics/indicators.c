#include "core/analytics/indicators.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>

#define WILDER 14
#define DAYS_A_YEAR 252.0

/* The value n bars back; 0 = this bar, which is already in. */
static double back(const double *window, uint64_t count, uint64_t n)
{
    assert(n < count && n < INDICATORS_WINDOW);
    return window[(count - 1 - n) % INDICATORS_WINDOW];
}

static double mean(const double *window, uint64_t count, uint64_t n)
{
    if (count < n) {
        return NAN;
    }
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        sum += back(window, count, i);
    }
    return sum / (double)n;
}

/* Sum of the first WILDER values until there are so many, from then on their average. nth counts from 1. */
static double wilder(double old, double value, uint64_t nth)
{
    if (nth < WILDER) {
        return old + value;
    }
    return nth == WILDER ? (old + value) / WILDER : (old * (WILDER - 1) + value) / WILDER;
}

static double ema(double old, double value, double span, bool first)
{
    return first ? value : old + (value - old) * 2 / (span + 1);
}

static void bollinger(const indicators_t *ind, indicators_value_t *v)
{
    v->bb_upper = v->bb_lower = v->bb_width = NAN;
    v->bb_middle                            = v->sma20;
    if (ind->count < 20) {
        return;
    }
    double squares = 0;
    for (uint64_t i = 0; i < 20; i++) {
        const double off = back(ind->closes, ind->count, i) - v->bb_middle;
        squares += off * off;
    }
    const double two = 2 * sqrt(squares / 20);
    v->bb_upper      = v->bb_middle + two;
    v->bb_lower      = v->bb_middle - two;
    v->bb_width      = v->bb_middle != 0 ? 2 * two / v->bb_middle : NAN;
}

static double hist_vol20(const indicators_t *ind)
{
    if (ind->count < 21) {
        return NAN;
    }
    double returns[20], sum = 0, squares = 0;
    for (uint64_t i = 0; i < 20; i++) {
        const double now = back(ind->closes, ind->count, i), before = back(ind->closes, ind->count, i + 1);
        if (now <= 0 || before <= 0) {
            return NAN;
        }
        returns[i] = log(now / before);
        sum += returns[i];
    }
    for (uint64_t i = 0; i < 20; i++) {
        squares += (returns[i] - sum / 20) * (returns[i] - sum / 20);
    }
    return sqrt(squares / 19) * sqrt(DAYS_A_YEAR);
}

static indicators_value_t values_now(const indicators_t *ind)
{
    const uint64_t     n    = ind->count;
    const double       rsi  = ind->loss == 0 ? 100 : 100 - 100 / (1 + ind->gain / ind->loss);
    const double       macd = ind->ema12 - ind->ema26;
    const double       vol  = mean(ind->volumes, n, 20);
    indicators_value_t v    = {.rsi14        = n > WILDER ? rsi : NAN,
                               .sma20        = mean(ind->closes, n, 20),
                               .sma50        = mean(ind->closes, n, 50),
                               .sma200       = mean(ind->closes, n, 200),
                               .ema12        = n >= 12 ? ind->ema12 : NAN,
                               .ema26        = n >= 26 ? ind->ema26 : NAN,
                               .macd         = n >= 35 ? macd : NAN,
                               .macd_signal  = n >= 35 ? ind->signal : NAN,
                               .macd_hist    = n >= 35 ? macd - ind->signal : NAN,
                               .atr14        = n > WILDER ? ind->range : NAN,
                               .volume_ratio = vol > 0 ? back(ind->volumes, n, 0) / vol : NAN,
                               .hist_vol20   = hist_vol20(ind)};
    bollinger(ind, &v);
    return v;
}

err_t indicators_add(indicators_t *ind, const indicators_bar_t *bar, indicators_value_t *value)
{
    if (!isfinite(bar->high) || !isfinite(bar->low) || !isfinite(bar->close) || !isfinite(bar->volume) ||
        bar->high < bar->low || bar->volume < 0) {
        return err_set(ERR_ARG,
                       "indicators: bar %" PRIu64
                       ": high %g, low %g, close %g, volume %g: must be finite, high >= low, "
                       "volume >= 0",
                       ind->count, bar->high, bar->low, bar->close, bar->volume);
    }
    if (ind->count > 0) {
        const double before = back(ind->closes, ind->count, 0);
        const double change = bar->close - before;
        const double range  = fmax(bar->high - bar->low, fmax(fabs(bar->high - before), fabs(bar->low - before)));
        ind->gain           = wilder(ind->gain, change > 0 ? change : 0, ind->count);
        ind->loss           = wilder(ind->loss, change < 0 ? -change : 0, ind->count);
        ind->range          = wilder(ind->range, range, ind->count);
    }
    const bool first = ind->count == 0;
    ind->ema12       = ema(ind->ema12, bar->close, 12, first);
    ind->ema26       = ema(ind->ema26, bar->close, 26, first);
    ind->signal      = ema(ind->signal, ind->ema12 - ind->ema26, 9, first);

    ind->closes[ind->count % INDICATORS_WINDOW]  = bar->close;
    ind->volumes[ind->count % INDICATORS_WINDOW] = bar->volume;
    ind->count++;
    *value = values_now(ind);
    return ERR_OK;
}

err_t indicators_series(const indicators_bar_t *bars, size_t count, indicators_value_t *values)
{
    indicators_t ind = {0};
    for (size_t i = 0; i < count; i++) {
        const err_t err = indicators_add(&ind, &bars[i], &values[i]);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}
