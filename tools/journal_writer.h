/* journal_writer: records into blocks, blocks into files, and how far all that has come. Everything of the journal role
 * but its ring and its sleep; the disk is behind a seam (journal_io.h), so faults are tested in process.
 *
 *   begin batch ─▶ put ─▶ [block being filled] ─▶ write ─▶ in flight, up to four ─▶ written ─▶ sync ─▶ durable
 *
 * written    all records up to it are in a file by a completed write: short ones are gone on with, and one that comes
 *            before its turn waits. Only those are taken from the ring. Both are ends of batches: of a batch that is
 *            cut nothing counts, and the ring must still have it.
 * durable    all records up to it were written when an fdatasync began that has succeeded.
 * When       a block goes at 64 KiB; durability process: or when its first record is 20 ms old, and a sync follows at most
 *            once a second; power: as soon as no other write is in flight, and a sync as soon as no other is (group
 *            commit). At a file's end and at an orderly stop everything is written and synced; the stop leaves an empty
 *            block behind that says so.
 * Files      the next one is taken when a batch does not fit into the current one any more: a batch never spans two. No
 *            next file: ERR_FULL until there is one; the ring holds the records.
 * Failure    the first write or sync that fails closes the journal for good: nothing is submitted any more, written and
 *            durable stand still. An fsync that failed once may report success the next time and have lost the data.
 * Repair     journal_writer_open goes on from a journal_end_t: what lies behind the end is zeroed, records that were kept
 *            of a torn block are written again, all of it synced, before the first new block.
 * Threads    one. Errors: ERR_FULL is an answer; ERR_IO, ERR_LIMIT, ERR_PARSE with a sentence. */
#pragma once

#include "ipc/journal.h"
#include "tools/journal_io.h"

#define JOURNAL_WRITER_BLOCKS 4u /* one being filled, the others in flight */
#define JOURNAL_WRITER_FILES 16u
#define JOURNAL_FLUSH_BYTES (64u * 1024u)
#define JOURNAL_FLUSH_NS (20 * NS_PER_MS)
#define JOURNAL_SYNC_NS NS_PER_S

typedef struct journal_writer_file {
    int      fd;
    uint64_t number;
    uint64_t bytes;
} journal_writer_file_t;

typedef struct journal_flight { /* a buffer on its way */
    uint8_t *buf;
    uint32_t bytes;
    uint32_t done;
    uint32_t idle_tries; /* in a row without progress */
    bool     complete;
    int      fd;
    uint64_t offset;
    uint64_t last; /* record that is written when this and all before it are */
} journal_flight_t;

typedef struct journal_writer_stats {
    uint64_t blocks;
    uint64_t bytes;
    uint64_t syncs;
    uint64_t files; /* begun */
} journal_writer_stats_t;

typedef struct journal_writer {
    journal_io_t          io;
    journal_id_t          id;
    bool                  power;
    char                  build_id[44];
    uint32_t              epoch; /* of the life that is being written, and ... */
    uint64_t              life;  /* ... the records before it: for the heads of files */
    journal_writer_file_t files[JOURNAL_WRITER_FILES];
    uint32_t              file_count;
    uint32_t              file; /* index of the current one; file_count = none yet */

    journal_pos_t    pos;   /* behind the last sealed block */
    journal_block_t  block; /* being filled, in the buffer of flight (first + count) % BLOCKS */
    int64_t          block_since_ns;
    uint32_t         batch_left; /* bytes of the batch that is being put */
    uint64_t         whole;      /* last record of the last batch that was put whole */
    journal_flight_t flights[JOURNAL_WRITER_BLOCKS];
    uint32_t         flight_first, flight_count;

    uint64_t written, durable;
    uint64_t writes_done, writes_synced; /* completed operations, and how many of them a sync has covered */
    uint64_t sync_record, sync_writes;   /* what the sync in flight will cover */
    bool     syncing;
    int64_t  synced_ns;
    bool     switching; /* the current file is full */
    bool     waiting;   /* and there is no next one */
    bool     stopping, closed;
    err_t    failed; /* with `why`: closed for good */
    char     why[256];

    journal_writer_stats_t stats;
} journal_writer_t;

typedef struct journal_writer_cfg {
    journal_io_t io;
    journal_id_t id;
    bool         power;
    const char  *build_id;
} journal_writer_cfg_t;

/* journal_writer_open: files that are there, rising, the one of end->pos among them (or, end NULL: nothing was written
 * yet, the first one begins the journal). Writes and waits where repair is needed. On failure nothing is open.
 * journal_writer_file: one more, to follow the newest; ERR_LIMIT, ERR_GAP: not taken. The descriptors stay the caller's.
 * journal_writer_close: frees; does not write. */
err_t journal_writer_open(journal_writer_t *w, const journal_writer_cfg_t *cfg, const journal_writer_file_t *files,
                          uint32_t count, const journal_end_t *end);
err_t journal_writer_file(journal_writer_t *w, const journal_writer_file_t *file);
void  journal_writer_close(journal_writer_t *w);

/* journal_writer_fail: close it for good, for the reason in err_msg. */
void journal_writer_fail(journal_writer_t *w, err_t err);

/* journal_writer_life: records from here on are of this life. */
void journal_writer_life(journal_writer_t *w, uint32_t epoch, uint64_t records_before);

/* journal_writer_batch: a batch comes, bytes = the sum of journal_record_bytes of its records. _put: its next record.
 * ERR_FULL: not now; the same call again after a turn. ERR_LIMIT: larger than a file, the journal is closed. */
err_t journal_writer_batch(journal_writer_t *w, uint32_t bytes);
err_t journal_writer_put(journal_writer_t *w, const void *record, uint32_t len, int64_t mono_ns);

/* journal_writer_turn: what is done, and what is due now. Returns how much happened. After it look at written, durable,
 * failed. journal_writer_wait_ns: how long until something is due by itself; INT64_MAX = never.
 * journal_writer_stop: write and sync what is there, then be done: journal_writer_stopped. */
uint32_t journal_writer_turn(journal_writer_t *w, int64_t mono_ns);
int64_t  journal_writer_wait_ns(const journal_writer_t *w, int64_t mono_ns);
void     journal_writer_stop(journal_writer_t *w);
bool     journal_writer_stopped(const journal_writer_t *w);
