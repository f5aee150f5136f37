/* replay_lobster: `hwal replay --lobster`: our book against LOBSTER's own, after every message.
 *
 *     hwal replay --lobster MESSAGES.csv[.gz] --book ORDERBOOK.csv[.gz] [--start ORDERBOOK.csv[.gz]] [--json]
 *
 * Without --start the two files are one window of N levels a side, line for line. The files hold only what touches the
 * best N levels, so the rules are
 *   - line 1 of the book is the state after message 1;
 *   - NEW adds at its price; CANCEL, DELETE, EXECUTE subtract, a level at zero goes; other types leave the book alone;
 *   - after each message all levels that are worse than the last of N levels in the row are forgotten;
 *   - when the message took away a whole level, and the row has N again, its last level is adopted unless we have it:
 *     it stood outside the window, where no message is recorded. Nothing is adopted anywhere else or at another time;
 *   - then both sides must equal the row, level for level. After a difference the row is the book, and later
 *     rows are judged from there.
 *
 * With --start the book begins as the first line of that file (the state after message 1) and nothing is adopted or
 * forgotten. What comes out is the sequence of distinct best levels (ask, size, bid, size), which must be --book's.
 * A subtraction from a level that is not there, or of more than is there, is of orders that were never seen: it takes
 * what there is, and is counted (`ignored`). At the first difference the comparison ends, for a book that missed an
 * order does not come right by itself: it must be started again there.
 *
 * Output   a line of text, or one JSON object:
 *          command "replay", format "lobster", messages (applied, with the first), levels (a side, of --book),
 *          oracle {unit "rows" or "states", checked, mismatched, adopted, ignored,
 *                  first_mismatch_line: of the message after which the first difference stands, 0 = none},
 *          errors [sentences]
 * Exit     0 equal; 1 a difference or a fault of the files, the first one named; 2 usage.
 * Limits   prices on NASDAQ's grid (a cent, below one dollar a hundredth of it); those of adapters/files/lobster.h and
 *          core/book/book.h. */
#pragma once

#include <stdbool.h>

/* replay_lobster_asked: is --lobster among the arguments of `hwal replay`? replay_lobster_command: then this is the
 * command; returns its exit code. */
bool replay_lobster_asked(int argc, char **argv);
int  replay_lobster_command(int argc, char **argv);
