/* candles: files of candles to bars, oldest first.
 *
 *   Upbit   JSON array as the public candle API returns it, newest first; the market and the minutes of a candle are
 *           the same in the whole file. Sets qty (volume), value (turnover) and prices; nobody tells the trades.
 *   KRX     daily CSV in one of two layouts, known by the header:
 *             none (a byte-order mark may be in front)   date YYYY-MM-DD, numbers may be quoted with thousands commas
 *             date,open,high,low,close,volume               date YYYYMMDD, likewise
 *           A bar is the day that begins at 00:00 UTC, which is 09:00 in Seoul, the opening: so days are aligned as
 *           our TIME bars are. Neither value nor trades are told. A row of volume 0 keeps the prices that it states.
 *
 * A file is plain or gzip (by its first byte). Order and plausibility are not judged here (core/analytics/quality.h);
 * nothing is rounded, sorted or skipped.
 *
 * Units    prices in 10^-px_exp, quantities in 10^-qty_exp, value in 10^-(px_exp + qty_exp), UTC ns.
 * Numbers  a JSON number is taken as the double that the text denotes, and that as its shortest decimal text: what
 *          is written with up to 15 digits arrives exactly. A number finer than the scale is refused.
 * Errors   each with a sentence: file, line, field, value. out->count is what was read before the fault; it is 0 for
 *          JSON, whose end must be seen first.
 *            ERR_IO, ERR_PARSE, ERR_SCALE, ERR_RANGE, ERR_TRUNCATED (gzip), ERR_ARG (a scale above 9)
 *            ERR_LIMIT   more candles than room, more text than CANDLES_TEXT_MAX
 * Owner    the caller; one thread; start-up, tools only: the file's text lies in allocated memory during the call. */
#pragma once

#include <stddef.h>

#include "core/analytics/bars.h"

#define CANDLES_TEXT_MAX (64u << 20)
#define CANDLES_EXP_MAX 9u
#define CANDLES_MARKET_MAX 23u

typedef struct candles {
    bar_t   *bars; /* the caller's, room of them */
    size_t   room;
    size_t   count;  /* set by the call */
    unsigned px_exp; /* 0..CANDLES_EXP_MAX, so is qty_exp */
    unsigned qty_exp;
    char     market[CANDLES_MARKET_MAX + 1]; /* Upbit: "KRW-BTC"; KRX: "" (the file does not say) */
} candles_t;

/* candles_read: the whole file of either format, as its text shows: Upbit begins with a bracket or a brace, KRX with anything
 * else; which it was: Upbit names a market. candles_upbit, candles_krx: that format. An empty array or a file without a row
 * is ERR_PARSE. O(text). */
err_t candles_read(const char *path, candles_t *out);
err_t candles_upbit(const char *path, candles_t *out);
err_t candles_krx(const char *path, candles_t *out);
