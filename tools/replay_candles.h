/* replay_candles: `hwal replay --candles`: candle files (Upbit JSON, KRX daily CSV) read, judged, folded, compared, with the
 * usual indicators.
 *
 *     hwal replay --candles FILE... [--check] [--strict] [--fold MINUTES --against FILE] [--overlap FILE --ratio N]
 *                           [--indicators] [--csv FILE] [--json]
 *
 * Each file is told by its text (adapters/files/candles.h) and judged by itself, oldest candle first, by
 * core/analytics/quality.h: what breaks a rule is a finding with the candle's place in the file (from 1, a head line not
 * counted), value and limit. Real data has findings (holidays, halts), so they are no fault but with --strict. A gap is more
 * than five lengths of a candle, at least five minutes.
 *
 * oracle       --fold, --against: candles of the file, folded by core/analytics/bars.h to so many minutes, are those of the
 *              other file: begin, open, high, low, close exactly, quantity and turnover within 1e-13 of the other's. Folded
 *              candles that the other file does not reach are not compared.
 *              --overlap, --ratio: on every day that both files have, the file's close is the other's times N (a split N for
 *              1 between the two recordings). No day in common is a fault.
 * indicators   core/analytics/indicators.h over each file; --csv writes the whole series, unknown is empty.
 *
 * Output   text, or one JSON object: command "replay", format "candles",
 *          files [{file, kind "upbit" or "krx", market, candles, seconds (of a candle), first, last {time, open, high, low,
 *            close, volume, value}, quality {bars, bad, findings {rule: count}, list [{row, time, rule, value, limit}] the
 *            first 20}, indicators {rsi14, ...: null when unknown}}],
 *          oracle {kind "fold" or "overlap", checked, mismatched}, errors [sentences]
 * Exit     0; 1 a fault of a file, a difference, with --strict a finding: each named; 2 usage.
 * Limits   CANDLES_MAX candles a file; prices and quantities with up to 8 decimals. */
#pragma once

#include <stdbool.h>

/* replay_candles_asked: is --candles among the arguments of `hwal replay`? replay_candles_command: then this is the command;
 * returns its exit code. */
bool replay_candles_asked(int argc, char **argv);
int  replay_candles_command(int argc, char **argv);
