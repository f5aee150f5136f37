/* journal: the files that hold every input of the engine, what it caused, and the proof that nothing is missing.
 *
 *   <dir>/000001.hj, 000002.hj ...       preallocated, written over zeros, file_bytes each
 *   | file head 4096 | block | block | ... | zeros to the end |
 *   block   a multiple of 4096: | block head 112: magic, bytes, used, record count, crc32c of this head, first and last
 *           record number, durable, sha256 of the block before, sha256 of this one | records | zeros |
 *   record  | len u32 | crc32c u32 | number u64 | Record (ipc/record.h), padded to 8 |
 *
 * number    counts records over all files, from 1, without a hole: it is the jrn ring's sequence plus the records of all
 *           lives before (the file head says how many: `life`), so "is my order durable" is one comparison.
 * Chain     each block names the hash of the one before it; the first of a file that of the last of the file before,
 *           which its head repeats; the first file's is the session's id. So a block that was changed, swapped, doubled
 *           or left out breaks the chain at its place.
 * durable   what the writer knew to be on the disk for good when it wrote the block; a file is begun when everything
 *           before it is. A power loss may lose or tear any block that no later one calls durable, and no other.
 * End       the first block that is all zeros, or the end of the last file. A damaged block is the end when no good
 *           block behind it calls what is missing durable; anything else damaged is a fault: it is named, never skipped.
 *           Whole records at the start of a damaged block are kept (each has a checksum and its number); a batch (an
 *           input and its outputs) that is cut at the end is dropped with a message. A batch never spans two files.
 * Head      session, epoch of the life that began the file, core version, configuration hash, build id, bytes of the
 *           file, number and engine sequence of the last record before it, hash of the block before. A file of another
 *           session, version or configuration is refused by name. A file whose head is all zeros is a spare one.
 * Owner     the journal role writes (tools/journal_role.c through tools/journal_io.h); anyone reads.
 * Errors    ERR_PARSE (damage: file, offset, what), ERR_GAP (a file is missing), ERR_UNSUPPORTED, ERR_IO, ERR_END.
 * Limits    4,096 files, blocks to 256 KiB, batches to JOURNAL_BATCH_MAX bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "ipc/record.h"

#define JOURNAL_MAGIC 0x314c4e524a77686cull
#define JOURNAL_VERSION 1u
#define JOURNAL_BLOCK_BYTES 4096u
#define JOURNAL_BLOCK_MAX (256u * 1024u) /* largest block */
#define JOURNAL_BLOCK_HEAD 112u
#define JOURNAL_RECORD_HEAD 16u
#define JOURNAL_BATCH_MAX (16u * 1024u * 1024u)
#define JOURNAL_FILES_MAX 4096u
#define JOURNAL_FILE_MIN (8 * JOURNAL_BLOCK_BYTES)

typedef struct journal_id { /* what all files of one journal share */
    uint64_t session;
    uint64_t config_hash;
    uint32_t core_version;
    uint32_t reserved;
} journal_id_t;

typedef struct journal_pos { /* a place between two records */
    uint64_t file_number;    /* from 1 */
    uint64_t offset;         /* of the block that comes next in that file */
    uint64_t record;         /* number of the last record before it */
    uint64_t sequence;       /* engine sequence of that record */
    uint8_t  chain[32];      /* hash of the last block before it */
} journal_pos_t;

/* journal_pos_first: where the first file of a journal begins. journal_pos_next_file: on to the next one. */
void journal_pos_first(journal_pos_t *pos, const journal_id_t *id);
void journal_pos_next_file(journal_pos_t *pos);

/* ---- writing: pure, in the caller's memory ------------------------------------------------------------------------ */
typedef struct journal_file { /* what a file's head says */
    journal_id_t  id;
    journal_pos_t pos;   /* where it begins; offset JOURNAL_BLOCK_BYTES */
    uint64_t      bytes; /* of the file */
    uint64_t      life; /* records of all lives before the one of epoch: message k of its jrn ring is record life + k */
    uint32_t      epoch; /* of the life that began the file */
    char          build_id[44];
} journal_file_t;

/* journal_file_head: format the first JOURNAL_BLOCK_BYTES of a file. */
void journal_file_head(void *buf, const journal_file_t *file);

typedef struct journal_block {
    uint8_t *buf; /* JOURNAL_BLOCK_MAX bytes, 8-aligned (4096 for O_DIRECT) */
    uint32_t used;
    uint32_t count;
    uint64_t first;    /* number of the first record in it */
    uint64_t sequence; /* engine sequence of the last one */
} journal_block_t;

/* journal_block_begin / _add / _seal. room: does a record of len bytes still fit, in a block of at most max bytes? add:
 * ERR_FULL when it does not fit in JOURNAL_BLOCK_MAX: seal and begin another. seal: pads, checksums and chains; durable
 * is the number of the last record that is on the disk for good; *pos moves behind the block; returns the bytes to write
 * at the old pos->offset. An empty block may be sealed: at an orderly stop it says that everything is durable.
 * journal_record_bytes: what a record of len bytes takes in a block. */
void                   journal_block_begin(journal_block_t *block, uint8_t *buf, const journal_pos_t *pos);
err_t                  journal_block_add(journal_block_t *block, const void *record, uint32_t len);
uint32_t               journal_block_seal(journal_block_t *block, journal_pos_t *pos, uint64_t durable);
static inline uint32_t journal_record_bytes(uint32_t len)
{
    return JOURNAL_RECORD_HEAD + ((len + 7u) & ~7u);
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */
typedef struct journal_reader journal_reader_t; /* allocated by journal_open; cold */

typedef struct journal_entry {
    uint64_t    number;
    uint64_t    file_number;
    uint64_t    offset; /* of the record in its file */
    record_t    record; /* points into the reader's memory, good until the next call */
    const void *bytes;  /* the Record's buffer, len bytes */
    uint32_t    len;
    uint32_t    reserved;
} journal_entry_t;

typedef struct journal_end {
    journal_pos_t pos;        /* behind the last record that is whole and good; offset: where writing goes on */
    uint64_t      life;       /* of the newest BOOT seen, or of the file head: see journal_file_t */
    uint32_t      epoch;      /* of that life; 0 = none seen */
    uint32_t      keep_count; /* records before pos that must be written again as the first block at pos.offset */
    const void   *keep;       /* those, as they lay in their block, keep_bytes; of the reader, until it is closed */
    uint32_t      keep_bytes;
    bool          dirty;           /* bytes that are not zero lie behind the end, in this file or a later one */
    uint64_t      dropped_records; /* of a batch that was cut */
    uint64_t      dropped_bytes;   /* in pages that are not all zeros, behind the end */
    char          note[256];       /* one sentence, empty when the end is clean */
} journal_end_t;

typedef struct journal_stats {
    uint64_t files;
    uint64_t blocks;
    uint64_t inputs;
    uint64_t outputs;
    uint64_t bytes; /* of blocks */
} journal_stats_t;

/* journal_open: files in order, their descriptors (dup'ed) ; journal_open_dir: those of a directory. id NULL = any
 * session (then journal_id says which). ERR_NOT_FOUND when no file has been begun.
 * journal_seek: the next record is the first one with an engine sequence above `sequence` (files before are passed over
 *   by their heads). ERR_GAP when the files that are there begin behind it. Once, before the first journal_next.
 * journal_next: ERR_OK; ERR_END (journal_end says where, and what was dropped); a fault: stops there for good. Outputs
 *   come after their input, in order; a batch is delivered only if it is whole. */
err_t                journal_open(const int *fds, const uint64_t *numbers, uint32_t count, const journal_id_t *id,
                                  journal_reader_t **out);
err_t                journal_open_dir(const char *dir, const journal_id_t *id, journal_reader_t **out);
void                 journal_close(journal_reader_t *reader);
const journal_id_t  *journal_id(const journal_reader_t *reader);
err_t                journal_seek(journal_reader_t *reader, uint64_t sequence);
err_t                journal_next(journal_reader_t *reader, journal_entry_t *out);
const journal_end_t *journal_end(const journal_reader_t *reader); /* after ERR_END, or as far as a fault let it come */
const journal_stats_t *journal_stats(const journal_reader_t *reader);

/* journal_file_number: of "000001.hj", 0 for any other name. journal_file_name: the reverse, at least 32 bytes. */
uint64_t journal_file_number(const char *name);
void     journal_file_name(uint64_t number, char out[32]);

/* journal_scan_end: read everything (or, quick, only the last file that was begun) and say where it ends. The writer's
 * way in. ERR_OK, or the fault. */
err_t journal_scan_end(journal_reader_t *reader, bool last_file_only, journal_end_t *out);
