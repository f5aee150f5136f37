/* quality: is a series of bars, or a tape of trades, fit for use? Each bar that breaks a rule is named, with the value and
 * the limit; each trade is told which rules it breaks, and they are counted. Nothing is repaired, dropped or filled.
 *
 *   rule             finding when                                                     value, limit
 *   QUALITY_TS       begin <= 0, or end < begin                                       s since the epoch; s of begin
 *   QUALITY_ORDER    begin not after that of the bar before                           s of both
 *   QUALITY_GAP      more than gap_ns from begin to begin of the bar before           s
 *   QUALITY_PX       a price not above 0 (the lowest of the four)                     px, 0
 *   QUALITY_LOW      low > min(open, close)                                           px
 *   QUALITY_HIGH     high < max(open, close)                                          px
 *   QUALITY_QTY      quantity < 0                                                     qty, 0
 *   QUALITY_CHANGE   |close / close before - 1| >= change                             ratio
 *   QUALITY_Z        |close - mean| > z standard deviations (divided by n) of all closes of the series   deviations
 *
 * A bar without a price (BAR_PX not set) is judged by its times and quantity alone; "the close before" is that of the
 * last bar that has one above 0. QUALITY_Z needs two prices that differ.
 *
 * Trades come one by one and are compared with the trade before; its price is the last above 0:
 *   TS time <= 0; ORDER time before that of the trade before (the same instant is usual); GAP; PX price not above 0;
 *   QTY quantity not above 0; CHANGE |price / price before - 1| >= change. A spread of all prices is known at the end
 *   only, so QUALITY_Z is not asked of trades. A time <= 0 is no time to compare with.
 *
 * Pure; any thread; doubles only in ratios and in what is reported. Cost: bars two passes, a trade O(1); nothing allocated.
 * Sources   signal-factory docs/02 for the figures (50 %, z 3, 5 min), read 2026-11-21; its OHLC rule (high >= open,
 *           low <= close) lets bars pass whose high is below the close: ours asks all four. */
#pragma once

#include <stddef.h>

#include "core/analytics/bars.h"

typedef enum quality_rule {
    QUALITY_TS = 1,
    QUALITY_ORDER,
    QUALITY_GAP,
    QUALITY_PX,
    QUALITY_LOW,
    QUALITY_HIGH,
    QUALITY_QTY,
    QUALITY_CHANGE,
    QUALITY_Z,
    QUALITY_RULES
} quality_rule_t;

typedef struct quality_limits {
    double  change; /* of the close, as a ratio         */
    double  z;      /* standard deviations              */
    int64_t gap_ns; /* choose it by the length of a bar */
} quality_limits_t;

#define QUALITY_LIMITS_USUAL ((quality_limits_t){.change = 0.5, .z = 3, .gap_ns = INT64_C(300000000000)})

typedef struct quality_finding {
    quality_rule_t rule;
    size_t         index; /* of the bar */
    double         value;
    double         limit;
} quality_finding_t;

/* quality_check: findings in order of index, then rule.
 * Returns ERR_OK (*count may be 0); ERR_LIMIT: more than room, the first room are written, *count says how many there
 * are; ERR_ARG: a limit that is not above 0 (nothing is written). */
err_t quality_check(const bar_t *bars, size_t bar_count, const quality_limits_t *limits, quality_finding_t *findings,
                    size_t room, size_t *count);

typedef struct quality_tape {         /* the trades of one instrument; zero = none yet */
    int64_t  ts_ns;                   /* of the trade before; 0 = none */
    int64_t  px;                      /* last price above 0; 0 = none  */
    uint64_t trades;                  /* all of them                   */
    uint64_t bad;                     /* those that broke a rule       */
    uint64_t findings[QUALITY_RULES]; /* by rule                       */
} quality_tape_t;

/* quality_trade: one trade, in order of arrival. limits: change and gap_ns above 0 (z is not looked at).
 * Returns the rules that it breaks, as bits 1 << quality_rule_t; 0 = none. */
uint32_t quality_trade(quality_tape_t *tape, const quality_limits_t *limits, int64_t ts_ns, int64_t px, int64_t qty);

/* quality_rule_str: "TS", "ORDER" ...; static text, "?" for no rule. */
const char *quality_rule_str(quality_rule_t rule);
