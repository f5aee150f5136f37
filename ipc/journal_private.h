/* journal_private: the layouts of a journal file as structs, and its two checksums: what writer, reader and tests share.
 *
 * Each head is covered by a checksum of its own, each record by another, a whole block by its hash; zeros fill what is
 * left. So there is no byte in a journal that may change unseen. */
#pragma once

#include "ipc/journal.h"

typedef struct journal_file_page { /* the first JOURNAL_BLOCK_BYTES of a file; zeros follow */
    uint64_t magic;
    uint32_t version;
    uint32_t epoch;
    uint64_t session;
    uint64_t config_hash;
    uint32_t core_version;
    uint32_t reserved;
    uint64_t file_number;
    uint64_t bytes;
    uint64_t record;   /* last before the file */
    uint64_t sequence; /* of that record */
    uint64_t life;
    uint8_t  chain[32];
    char     build_id[44];
    uint32_t crc; /* of this struct with crc 0 */
} journal_file_page_t;

typedef struct journal_block_page {
    uint64_t magic;
    uint32_t bytes; /* of the block, a multiple of JOURNAL_BLOCK_BYTES */
    uint32_t used;  /* to the end of the last record */
    uint32_t count;
    uint32_t crc; /* of this struct with crc 0 */
    uint64_t first;
    uint64_t last; /* first - 1 when the block is empty */
    uint64_t durable;
    uint8_t  before[32];
    uint8_t  hash[32]; /* of this struct up to here with crc 0, and of everything behind it */
} journal_block_page_t;

typedef struct journal_record_head {
    uint32_t len;
    uint32_t crc; /* of len, number, and the Record with its padding */
    uint64_t number;
} journal_record_head_t;

_Static_assert(sizeof(journal_file_page_t) == 160, "on file: bump JOURNAL_VERSION");
_Static_assert(offsetof(journal_block_page_t, hash) == 80, "on file: bump JOURNAL_VERSION");
_Static_assert(sizeof(journal_block_page_t) == JOURNAL_BLOCK_HEAD, "on file: bump JOURNAL_VERSION");
_Static_assert(sizeof(journal_record_head_t) == JOURNAL_RECORD_HEAD, "on file: bump JOURNAL_VERSION");

/* journal_crc32c: CRC-32C (Castagnoli), as iSCSI has it. _more: go on with another piece. */
uint32_t journal_crc32c(const void *bytes, size_t len);
uint32_t journal_crc32c_more(uint32_t crc, const void *bytes, size_t len);

/* The checks that the structs name. bytes: of the whole block, its head first. */
uint32_t journal_file_crc(const journal_file_page_t *page);
uint32_t journal_block_crc(const journal_block_page_t *page);
void     journal_block_hash(const void *block, uint32_t bytes, uint8_t out[32]);
uint32_t journal_record_crc(const void *record); /* at a journal_record_head_t */
