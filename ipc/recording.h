/* recording: a file of our own messages: what went over an instance's market-data rings (and ev), or what a codec made of
 * captures; small, readable from any place, and whole up to the last block whatever became of its writer.
 *
 *   | head 512 | block | block | ... | index | foot 64 |
 *   block    | head 64: magic, flags, sizes, entries, number of the first, times, checks | zstd frame, zeros to 8 |
 *   index    | head 64 | a row of 40 for each block: offset, first number, times, entries, flags |
 *   foot     | magic, offset of the index, blocks, entries, time of the end, check |
 *
 * Entry     a message with its time, where it came from (a source: the ring's name), its sequence there, topic, tenant;
 *           numbered from 1 without a hole. Its time never goes back: it is at least that of the entry before.
 * Packing   an entry is three bytes (type, flags, topic) and words of 8 bytes: of its body the difference to the body of
 *           the message of that type and topic before it, of its tail the difference to the element before it (what is a
 *           quantity: itself); each word in as many bytes as it needs (0..8), the lengths as half bytes apart from the
 *           bytes, so that decoding has no branch a word. What has a text is kept as its table. Each block begins anew
 *           and is compressed by itself. Both the size and the speed of this against plain tables: README.md here.
 * Sync      a block with RECORDING_KEY begins with what a reader needs who begins there: the definitions of all
 *           instruments, and each book that is known, as SNAPSHOT entries flagged RECORDING_REFRESH with the rpt_seq that
 *           the book had. Who reads from the beginning passes over those. Seeking goes to such a block.
 * Loss      what a ring lost before it could be recorded stands in the file where it happened: FEED_STATE BROKEN/LOST for
 *           each instrument of the source, seq_from and seq_to the ring's sequences, flagged RECORDING_LOSS.
 * End       a file is named at once and has its foot last. Without one (its writer died, the disk was full, or it is
 *           still being written) it is read by its blocks, up to the last whole one, and then says ERR_TRUNCATED.
 * Damage    every byte is covered: head, block heads, rows and foot by an XXH3 of 64 bits each, what is in a block by one
 *           in its head. Nothing of a bad block is delivered; the sentence names file and offset.
 * Trust     checks find accidents. A file that somebody made to hurt passes them and gets an error or odd messages, and
 *           never a read or write outside our memory: sizes, counts and texts are checked again behind them.
 *
 * Memory    recording_writer_footprint(), recording_reader_footprint() bytes of the caller, 64-aligned; nothing else is
 *           allocated, whatever the length of the file.
 * Threads   one for each object. Calls are plain reads and writes of a regular file.
 * Limits    8 sources; RECORDING_BLOCK_BYTES of packed entries in a block; 2^40 bytes a file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/types/err.h"
#include "core/types/msg.h"

#define RECORDING_VERSION 1u
#define RECORDING_SOURCES_MAX 8u
#define RECORDING_SOURCE_TEXT 24u
#define RECORDING_BLOCK_BYTES (192u * 1024u)

enum {                        /* of an entry */
       RECORDING_REFRESH = 1, /* a book as it stands at a sync: nothing that happened */
       RECORDING_LOSS    = 2  /* FEED_STATE that the recorder wrote: the ring had gone on without it */
};
enum { RECORDING_KEY = 1 }; /* of a block: a sync begins here */

typedef struct recording_entry {
    msg_t    msg;    /* reading: points into the reader, until the next call */
    uint64_t number; /* in the file, from 1; writing: not looked at */
    uint64_t seq;    /* in its source; 0 = none */
    int64_t  ts_ns;  /* UTC; writing: raised to that of the entry before */
    uint32_t topic;  /* the instrument's id; 0 = none */
    uint32_t tenant;
    uint8_t  source; /* index in the head's names */
    uint8_t  flags;  /* RECORDING_REFRESH, RECORDING_LOSS */
} recording_entry_t;

typedef struct recording_about { /* what a file's head says */
    int64_t  began_ns;
    uint32_t core_version;
    uint32_t source_count;
    char     instance[40]; /* "" = made from files */
    char     build[48];
    char     source[RECORDING_SOURCES_MAX][RECORDING_SOURCE_TEXT]; /* "md.sim", "ev" ... */
} recording_about_t;

/* recording_time: the time that a message itself says: ts_recv_ns, or the engine's; 0 = it says none. */
int64_t recording_time(const msg_t *msg);

/* ---- writing ----------------------------------------------------------------------------------------------------------- */
typedef struct recording_writer recording_writer_t;

size_t recording_align(void);
size_t recording_writer_footprint(void);

/* recording_create: begin a file at fd (empty, open for reading and writing; the caller closes it). path: for sentences; it
 * must stay. Returns ERR_OK and *out; ERR_ARG, ERR_IO with a sentence. The first block is a sync. */
err_t recording_create(void *mem, int fd, const char *path, const recording_about_t *about, recording_writer_t **out);

/* recording_write: one entry. ERR_OK; ERR_ARG (type, source), ERR_LIMIT (counts, text) with a sentence: nothing was
 * written; ERR_IO: the file ends at its last whole block, and every later call says so again.
 * Cost     ~60 ns and 3 a level; a block's compression when it is full */
err_t recording_write(recording_writer_t *w, const recording_entry_t *entry);

/* recording_sync_due: is it time for a sync? (1 MiB, and 16 times what the last one took, since) recording_sync: what is
 * written from here on begins a new block with RECORDING_KEY; definitions and books follow, the caller's. recording_synced:
 * that was all of it. recording_flush: what was written is in the file (not yet on the disk). */
bool  recording_sync_due(const recording_writer_t *w);
err_t recording_sync(recording_writer_t *w);
void  recording_synced(recording_writer_t *w);
err_t recording_flush(recording_writer_t *w);

/* recording_finish: the rest, index and foot, and fsync. end_ns: when it ended, at least the last entry's time. After it
 * the writer can do no more. */
err_t recording_finish(recording_writer_t *w, int64_t end_ns);

/* recording_written: bytes in the file, entries taken. */
uint64_t recording_bytes(const recording_writer_t *w);
uint64_t recording_entries(const recording_writer_t *w);

/* ---- reading ----------------------------------------------------------------------------------------------------------- */
typedef struct recording_reader recording_reader_t;

typedef struct recording_block { /* a row of the index */
    uint64_t offset;
    uint64_t first; /* number of its first entry */
    int64_t  ts_first, ts_last;
    uint32_t count;
    uint32_t flags; /* RECORDING_KEY */
} recording_block_t;

typedef struct recording_extent { /* what is in a file */
    uint64_t bytes;
    uint64_t blocks;
    uint64_t entries;
    int64_t  ts_first, ts_last; /* of entries */
    int64_t  end_ns;            /* of the foot; without one ts_last */
    uint64_t raw_bytes;         /* of the blocks, before compression: 0 when the file has a foot (nobody looked) */
    uint64_t tail_bytes;        /* behind the last whole block, without a foot */
    bool     ended;             /* it has its foot */
} recording_extent_t;

size_t recording_reader_footprint(void);

/* recording_open: the file at fd (regular; the caller closes it; path as above), placed at its first entry.
 * Returns ERR_OK and *out; ERR_PARSE (no recording, damage), ERR_UNSUPPORTED (version, layout, no regular file), ERR_IO.
 * Cost     with a foot: three reads; without: one a block. */
err_t recording_open(void *mem, int fd, const char *path, recording_reader_t **out);

const recording_about_t  *recording_about(const recording_reader_t *r);
const recording_extent_t *recording_extent(const recording_reader_t *r);

/* recording_next: the next entry.
 *   ERR_OK; ERR_END (all of it); ERR_TRUNCATED (all that is whole, and the file has no end); ERR_PARSE (damage; the next
 *   call goes on with the next block when there is an index), ERR_UNSUPPORTED (a type this build does not know), ERR_IO
 *   Cost     ~20 ns and 2 a level, and decompression */
err_t recording_next(recording_reader_t *r, recording_entry_t *out);

/* recording_seek_time: to the last sync that began at or before ts_ns, else the first one: from there on the reader gives all
 * entries, those before ts_ns too. recording_seek_number: likewise, by an entry's number. Errors as recording_next.
 * Cost     with an index a binary search and back to the sync; without, a pass over the block heads. */
err_t recording_seek_time(recording_reader_t *r, int64_t ts_ns);
err_t recording_seek_number(recording_reader_t *r, uint64_t number);

/* recording_block: row i of the file's blocks, from 0; false past the last, or when it cannot be read. Cost: one read with
 * an index; i reads without. */
bool recording_block(recording_reader_t *r, uint64_t i, recording_block_t *out);

/* recording_is: do these bytes begin as a recording does? */
bool recording_is(const void *bytes, size_t len);
