/* replay_bars: `hwal replay CAPTURE --bars RULE:SIZE`: the trades of one instrument as a series of bars, kept and exported.
 *
 *     trade ──▶ core/analytics/bars.h ──▶ finished bars ──▶ list ──▶ CSV, sums
 *       └──▶ sums of trades ─────────────── equal ──────────────────────┘
 *
 * RULE:SIZE  time:60s (s, m, h, d), ticks:1000 (trades), volume:10 (quantity), value:1000000 (price x quantity); sizes of
 *            volume and value are decimals in the units of the instrument.
 * Time       of a trade: the venue's, or the receive time where the venue sends none. Late trades are refused by the rule
 *            and counted; they are in no bar.
 * The open bar at the end is the last one of the series, marked as not complete.
 *
 * Check      trades = those in bars + late ones + those refused; number, quantity and value of all bars are the sums over
 *            the trades that were taken: kept apart, compared at the end.
 * CSV        symbol, market, begin, end (UTC), open, high, low, close, volume, value, trades, complete; exact decimals; a
 *            bar of time without a trade has empty prices.
 * Limits     REPLAY_BARS_MAX bars a series: a time far off is not answered by bars without end.
 * Owner      the caller; one thread; allocates as it grows. Units of the instrument. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/analytics/bars.h"
#include "core/ref/instrument.h"

#define REPLAY_BARS_MAX (1u << 22)

typedef struct bar_series {
    const instrument_t *ins;
    bars_t              bars;
    bar_t              *list; /* finished ones, then the open one */
    size_t              count, room;
    bool                open;    /* the last of list is not complete */
    uint64_t            trades;  /* all that were given */
    uint64_t            refused; /* without a quantity */
    uint64_t            taken;   /* the others but the late ones, and their sums */
    i128_t              qty, value;
} bar_series_t;

/* replay_bars_rule: the rule and size of "time:60s" ... for an instrument. ERR_PARSE, ERR_ARG, ERR_SCALE, ERR_RANGE with a
 * sentence that shows the text. */
err_t replay_bars_rule(const char *text, const instrument_t *ins, bar_rule_t *rule, i128_t *size);

/* replay_bars_open: an empty series. ins must stay. Errors of replay_bars_rule. replay_bars_free: gives its list back. */
err_t replay_bars_open(bar_series_t *series, const char *rule, const instrument_t *ins);
void  replay_bars_free(bar_series_t *series);

/* replay_bars_trade: the next trade. ERR_OK (late and refused ones are counted); ERR_LIMIT (bars, memory), ERR_RANGE. */
err_t replay_bars_trade(bar_series_t *series, int64_t ts_ns, int64_t px, int64_t qty);

/* replay_bars_end: the open bar joins the list. ERR_OK; ERR_LIMIT; ERR_INTERNAL when bars and trades do not add up. */
err_t replay_bars_end(bar_series_t *series);

/* After replay_bars_end: {count, complete, trades, late, refused, volume, value}; a line of text; the rows of the CSV, with
 * the head line first when head. A new reference. */
json_t *replay_bars_json(const bar_series_t *series);
void    replay_bars_text(FILE *to, const char *indent, const bar_series_t *series);
void    replay_bars_csv(FILE *to, const bar_series_t *series, const char *market, bool head);

/* replay_bars_time: UTC as 2020-02-20T08:00:00.000000000Z; without the fraction where it is 0. */
#define REPLAY_BARS_TIME 40u
void replay_bars_time(int64_t ts_ns, char out[REPLAY_BARS_TIME]);
