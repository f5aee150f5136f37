/* replay_dbn: `hwal replay FILE.dbn[.zst]...`: Databento files through our reader and our book by order, and what they hold.
 *
 *     hwal replay FILE.dbn[.zst]... [--check] [--expect FILE | --expect KEY=VALUE,...] [--json]
 *
 * The files are one stream in the order given: the second goes on with the books of the first. An instrument is the pair of
 * instrument and publisher, for ids are shared among publishers.
 *
 * Orders (MBO) become the book core/book/mbo.h by dbn_book. A book begins with a clear or a snapshot; what comes before it
 * is counted (`unapplied`) and not applied. A clear or snapshot heals a book that has found a fault. Crossed event ends are
 * counted and no fault: orders gather so before an auction. Books grow with their orders.
 *
 * --check, record by record
 *   orders       no cancel or modify of an unknown order, no cancel of more than is left; the book is that of a slow second
 *                keeper of orders and levels (tools/order_tally.h): touched levels, best levels and counts after each
 *                record; at the end of a snapshot, every 4096 records and at the end the whole of it, queue by queue, and
 *                each level the sum of its orders
 *   levels       each side of a market by price sorted, without a hole, every level with a quantity
 *   all          what a file holds is what its metadata says (its schema)
 * --expect       published facts: KEY is a member of the JSON below, a path with dots, or a member of the one instrument;
 *                decimals are compared as numbers; a FILE holds KEY=VALUE lines, # begins a comment
 *
 * What may be odd in good data is reported and no fault: `quality`, of trades one by one (MBO T, trades, MBP T) and of bars
 * (open, high, low, close, order, step), by core/analytics/quality.h.
 *
 * Output   text, or one JSON object:
 *          command "replay", format "dbn", records,
 *          by_type {"mbo": n, ...}, by_action {"add": n, ...},
 *          files [{file, version, schema, dataset, records, content_hash: of all decoded values: equal content in another
 *            version or compression gives the same}],
 *          instruments {"17077": {symbol, records, trades, crossed_events; last_sequence, last_ts_recv_ns; for orders:
 *            health, reason, orders, bid_levels, ask_levels, best_bid, best_bid_qty, best_ask, best_ask_qty, bid_qty,
 *            ask_qty, unapplied; quality}} ("17077@1" when another publisher has the id too),
 *          oracle {checked, mismatched, whole_books, unknown_orders, over_cancels, expected}, notes, errors [sentences]
 *          A type that the reader does not decode (status, statistics, ...) is counted by its head.
 * Exit     0; 1 a fault of the files, a difference, an expectation that does not hold: each named; 2 usage.
 * Limits   those of adapters/files/dbn.h; MBO_ORDERS_MAX orders a book. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* replay_dbn_asked: is --dbn among the arguments of `hwal replay`, or a file that is DBN by its first bytes or its name?
 * replay_dbn_command: then this is the command; returns its exit code. */
bool replay_dbn_asked(int argc, char **argv);
int  replay_dbn_command(int argc, char **argv);

/* replay_dbn_schema: "mbo", "trades" ... by the number in a file's metadata; "mixed" for what is none. */
const char *replay_dbn_schema(uint16_t schema);
