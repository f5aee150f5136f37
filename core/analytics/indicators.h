/* indicators: the usual numbers of a chart, one bar at a time.
 *
 *   rsi14          Wilder: averages of gains and of losses of 14 changes, first the mean, then (13 x old + new) / 14;
 *                  100 - 100 / (1 + gain / loss); 100 without any loss, so also on a flat line    from bar 15
 *   sma20/50/200   mean of so many closes                                                         from bar 20, 50, 200
 *   ema12/26       span n: first the close, then old + (close - old) x 2 / (n + 1); no bias adjusted   from bar 12, 26
 *   macd           ema12 - ema26; signal = its EMA of span 9, from the first bar; hist = macd - signal   from bar 35
 *   bb             sma20 +- 2 standard deviations of the 20 closes (divided by 20); width = (upper - lower) / middle,
 *                  unknown when the middle is 0                                                   from bar 20
 *   atr14          Wilder over the true range max(high - low, |high - close before|, |low - close before|)  from bar 15
 *   volume_ratio   volume / mean of the last 20 volumes, this one included; unknown when that is 0       from bar 20
 *   hist_vol20     standard deviation (divided by 19) of the last 20 log returns x sqrt(252)       from bar 21
 *                  unknown while one of the 21 closes is not above 0
 *
 * What is unknown is NaN (never 0, never a guess): before the bar named above, or where it says so.
 *
 * Doubles   these numbers are for models and screens; no price that is sent comes from here. Windows are summed afresh
 *           at each bar, so no error creeps in, however long the series.
 * Owner     plain data without pointers in the caller's memory; one thread; not in the event path.
 * Cost      about 300 additions a bar; nothing allocated.
 * Sources   the ATLAS set: pollmap/ai-trading-alpha src/data/indicators.py, read 2026-11-21; Wilder, New Concepts in
 *           Technical Trading Systems (1978) for RSI and ATR. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"

#define INDICATORS_WINDOW 200 /* the longest look back, in closes */

typedef struct indicators_bar { /* any one unit for the prices, any for the volume */
    double high;
    double low;
    double close;
    double volume;
} indicators_bar_t;

typedef struct indicators_value {
    double rsi14;
    double sma20, sma50, sma200;
    double ema12, ema26;
    double macd, macd_signal, macd_hist;
    double bb_upper, bb_middle, bb_lower, bb_width;
    double atr14;
    double volume_ratio;
    double hist_vol20;
} indicators_value_t;

typedef struct indicators {             /* zero = no bar yet */
    uint64_t count;                     /* bars seen */
    double   closes[INDICATORS_WINDOW]; /* bar i at i % INDICATORS_WINDOW; so are the volumes */
    double   volumes[INDICATORS_WINDOW];
    double   gain, loss, range; /* sums of the first 14, then Wilder's averages */
    double   ema12, ema26, signal;
} indicators_t;

/* indicators_add: the next bar. *value: all numbers as of this bar.
 * ERR_ARG with a sentence, and nothing changed, when a number is not finite, high < low, or volume < 0. */
err_t indicators_add(indicators_t *ind, const indicators_bar_t *bar, indicators_value_t *value);

/* indicators_series: a whole series at once; values[i] is what indicators_add says after bars[0..i], to the bit.
 * ERR_ARG as above, the sentence names the bar; values before it are written. */
err_t indicators_series(const indicators_bar_t *bars, size_t count, indicators_value_t *values);
