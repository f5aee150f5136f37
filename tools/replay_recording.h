/* replay_recording: `hwal replay FILE.hwr`: a recording of ours (ipc/recording.h) through the same core as a capture: book,
 * strategies, risk and a simulated venue on the clock of the recording; the summary is a capture's.
 *
 *     hwal replay FILE.hwr [--strategy SPEC] [--from T] [--to T] [--check] [--books-only] [--json] ...
 *
 * A recording that was made of captures (`hwal record import`) gives the orders, profit and output hash that the captures
 * give. Of a recording of an instance the market data are replayed; what its engine decided (ev) is passed over, for this
 * is another engine.
 *
 * From     from a time on: the sync before it and what follows up to it are read beside the engine, and each book that is
 *          known then is given to it as a snapshot: it sees the same books as a replay of everything would, and trades
 *          from there.
 * Oracle   --check: the venue's own best quotes (TOP) against the book after every diff, as for captures; where there are
 *          none, every level of each book that the recorder wrote into its syncs against ours at that place. Single orders:
 *          after every complete message against a second, slow keeper of them (order_tally.h), the whole of it after
 *          snapshots, every 4096 messages and at the end; and each order of the syncs with its place in the queue.
 * Books    --books-only: no engine, venue or strategy; the book of each instrument alone.
 * Orders   an instrument is fed by levels or by single orders (MBO_UPDATE). A configuration with engine.mbo_books 0 is given
 *          room for those whose orders stand in the first block or the last sync; one with another number is taken as it
 *          is. Orders or levels beyond engine.mbo_orders, engine.mbo_levels break the book: the fault names them.
 * Exit     0 ok; 1 the data has faults (named); 2 usage. */
#pragma once

#include <stdbool.h>

/* replay_recording_asked: is the first file among the arguments of `hwal replay` a recording? replay_recording_command: then
 * this is the command; returns its exit code. */
bool replay_recording_asked(int argc, char **argv);
int  replay_recording_command(int argc, char **argv);
