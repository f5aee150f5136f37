/* bars: trades, or smaller bars, into bars of equal time, trade count, volume or value.
 *
 *   trades, smaller bars ──▶ bars_trade, bars_fold ──▶ the open bar ──▶ bars_next: finished bars, oldest first
 *
 * Boundaries
 *   TIME     [k x size, (k+1) x size) ns since the Unix epoch, so all are aligned to UTC. Begins with the interval of
 *            the first trade. An interval without a trade gives a bar all the same, with no price in it (BAR_PX is not
 *            set): that nothing was traded is told, a price is not invented.
 *   TICKS    closes with the trade that makes the count reach size;
 *   VOLUME   ... the sum of quantities;
 *   VALUE    ... the magnitude of the sum of px x qty. A trade is never cut in two: a bar may hold more than size, what
 *            is above it does not go over into the next, and the bars add up to the trades.
 * Order      open and close are by order of arrival, which is the venue's. A trade is late when its time is before the
 *            open TIME bar, or (other rules) before the last trade of the last finished bar: refused and counted.
 * Known      what a bar cannot know it does not claim: `known` says which of prices, value and number of trades were
 *            told. A bar folded from parts knows a sum only if every part does.
 *
 * Owner      plain data without pointers in the caller's memory: its bytes are its snapshot. One thread.
 * Units      px, qty in the instrument's scales; value in 10^-(px_exp + qty_exp), 128 bits; times UTC ns.
 * Errors     each with a sentence; the object is unchanged by a refused call but for the count of late ones.
 * Cost       O(1) a call, nothing allocated. */
#pragma once

#include <stdbool.h>

#include "core/types/err.h"
#include "core/types/num.h"

typedef enum bar_rule { BAR_TIME = 1, BAR_TICKS, BAR_VOLUME, BAR_VALUE } bar_rule_t;

enum { BAR_PX = 1, BAR_KNOWS_VALUE = 2, BAR_KNOWS_TRADES = 4 }; /* bar_t.known */

typedef struct bar {
    int64_t  ts_begin_ns; /* TIME: of the interval; else earliest trade                       */
    int64_t  ts_end_ns;   /* TIME: of the interval, not part of it; else latest trade         */
    int64_t  open;        /* px, 0 without BAR_PX; so are high, low, close                    */
    int64_t  high;
    int64_t  low;
    int64_t  close;
    i128_t   qty;    /* sum of quantities                                                     */
    i128_t   value;  /* sum of px x qty, 0 without BAR_KNOWS_VALUE                            */
    uint64_t trades; /* 0 without BAR_KNOWS_TRADES                                            */
    uint64_t known;  /* BAR_PX, BAR_KNOWS_VALUE, BAR_KNOWS_TRADES                             */
} bar_t;

typedef struct bars {
    i128_t   size;
    bar_t    bar;      /* the open one; finished when `full`                                  */
    int64_t  floor_ns; /* anything before it is late                                          */
    uint64_t late;     /* trades and bars refused for their time                              */
    uint32_t rule;
    uint32_t state; /* private: nothing yet, open, full                                       */
    uint64_t reserved;
} bars_t;

/* bars_init: size > 0 in ns, trades, qty or px x qty. ERR_ARG (b untouched): unknown rule, size out of range (ns and
 * trades must fit an int64). */
err_t bars_init(bars_t *b, bar_rule_t rule, i128_t size);

/* bars_trade: one trade. Returns
 *   ERR_OK
 *   ERR_FULL    a bar is finished and not yet taken (an answer, no sentence): bars_next(b, ts_ns) until it is empty,
 *               then again
 *   ERR_STATE   late: counted and refused
 *   ERR_ARG     qty <= 0
 *   ERR_RANGE   a time whose interval does not fit 64 bits, or a sum that does not fit 128 */
err_t bars_trade(bars_t *b, int64_t ts_ns, int64_t px, int64_t qty);

/* bars_fold: one smaller bar, as a whole (three 1-minute bars are a 3-minute bar). Returns what bars_trade does, and
 * ERR_ARG when the bar does not lie within one interval, ends before it begins, has qty < 0, has sums without a
 * price, or does not know what the rule counts. A bar with nothing in it only moves time. */
err_t bars_fold(bars_t *b, const bar_t *part);

/* bars_next: the next bar that is finished. now_ns: TIME bars that end at or before it are finished (INT64_MIN: only
 * those that a trade has overtaken); the other rules do not look at it.
 * ERR_OK and *out; ERR_EMPTY when there is none (*out untouched). */
err_t bars_next(bars_t *b, int64_t now_ns, bar_t *out);

/* bars_open: the bar under construction, to show or to close a series with. false when there is none. */
bool bars_open(const bars_t *b, bar_t *out);
