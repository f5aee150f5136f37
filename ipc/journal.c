#include "ipc/journal.h"

#include <assert.h>
#include <isa-l/crc.h>
#include <stdio.h>
#include <string.h>

#include "ipc/journal_private.h"
#include "ipc/sha256.h"

_Static_assert(JOURNAL_BLOCK_HEAD + JOURNAL_RECORD_HEAD + RECORD_BYTES_MAX <= JOURNAL_BLOCK_MAX, "any record fits");

/* ---- checksums ----------------------------------------------------------------------------------------------------
 * ISA-L's crc32_iscsi neither inverts what goes in nor what comes out; CRC-32C does both. Its buffer is not const for
 * no reason. */
uint32_t journal_crc32c_more(uint32_t crc, const void *bytes, size_t len)
{
    assert(len <= INT32_MAX);
    return ~crc32_iscsi((unsigned char *)(uintptr_t)bytes, (int)len, ~crc);
}

uint32_t journal_crc32c(const void *bytes, size_t len)
{
    return journal_crc32c_more(0, bytes, len);
}

uint32_t journal_file_crc(const journal_file_page_t *page)
{
    journal_file_page_t copy = *page;
    copy.crc                 = 0;
    return journal_crc32c(&copy, sizeof copy);
}

uint32_t journal_block_crc(const journal_block_page_t *page)
{
    journal_block_page_t copy = *page;
    copy.crc                  = 0;
    return journal_crc32c(&copy, sizeof copy);
}

void journal_block_hash(const void *block, uint32_t bytes, uint8_t out[32])
{
    journal_block_page_t page;
    sha256_t            *sha = sha256_begin();
    memcpy(&page, block, sizeof page);
    page.crc = 0;
    sha256_add(sha, &page, offsetof(journal_block_page_t, hash));
    sha256_add(sha, (const uint8_t *)block + sizeof page, bytes - sizeof page);
    sha256_end(sha, out);
}

uint32_t journal_record_crc(const void *record)
{
    const uint8_t        *at = record;
    journal_record_head_t head;
    memcpy(&head, at, sizeof head);
    const uint32_t crc = journal_crc32c(&head.len, sizeof head.len);
    return journal_crc32c_more(crc, at + offsetof(journal_record_head_t, number),
                               journal_record_bytes(head.len) - offsetof(journal_record_head_t, number));
}

/* ---- places and names --------------------------------------------------------------------------------------------- */
void journal_pos_first(journal_pos_t *pos, const journal_id_t *id)
{
    *pos = (journal_pos_t){.file_number = 1, .offset = JOURNAL_BLOCK_BYTES};
    memcpy(pos->chain, &id->session, sizeof id->session);
}

void journal_pos_next_file(journal_pos_t *pos)
{
    pos->file_number++;
    pos->offset = JOURNAL_BLOCK_BYTES;
}

void journal_file_name(uint64_t number, char out[32])
{
    snprintf(out, 32, "%06llu.hj", (unsigned long long)number);
}

uint64_t journal_file_number(const char *name)
{
    char               again[32];
    unsigned long long number = 0;
    if (sscanf(name, "%20llu.hj", &number) != 1) {
        return 0;
    }
    journal_file_name(number, again);
    return strcmp(again, name) == 0 ? number : 0;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */
void journal_file_head(void *buf, const journal_file_t *file)
{
    journal_file_page_t page = {.magic        = JOURNAL_MAGIC,
                                .version      = JOURNAL_VERSION,
                                .epoch        = file->epoch,
                                .session      = file->id.session,
                                .config_hash  = file->id.config_hash,
                                .core_version = file->id.core_version,
                                .file_number  = file->pos.file_number,
                                .bytes        = file->bytes,
                                .record       = file->pos.record,
                                .sequence     = file->pos.sequence,
                                .life         = file->life};
    assert(file->pos.offset == JOURNAL_BLOCK_BYTES);
    memcpy(page.chain, file->pos.chain, sizeof page.chain);
    memcpy(page.build_id, file->build_id, strnlen(file->build_id, sizeof page.build_id - 1));
    page.crc = journal_file_crc(&page);
    memset(buf, 0, JOURNAL_BLOCK_BYTES);
    memcpy(buf, &page, sizeof page);
}

void journal_block_begin(journal_block_t *block, uint8_t *buf, const journal_pos_t *pos)
{
    *block =
        (journal_block_t){.buf = buf, .used = JOURNAL_BLOCK_HEAD, .first = pos->record + 1, .sequence = pos->sequence};
}

err_t journal_block_add(journal_block_t *block, const void *record, uint32_t len)
{
    assert(len >= RECORD_PREFIX && len <= RECORD_BYTES_MAX);
    const uint32_t bytes = journal_record_bytes(len);
    if (bytes > JOURNAL_BLOCK_MAX - block->used) {
        return ERR_FULL;
    }
    uint8_t              *at   = block->buf + block->used;
    journal_record_head_t head = {.len = len, .number = block->first + block->count};
    memset(at + bytes - 8, 0, 8); /* the padding, before the record lies over the rest */
    memcpy(at + sizeof head, record, len);
    memcpy(at, &head, sizeof head);
    head.crc = journal_record_crc(at);
    memcpy(at, &head, sizeof head);
    block->used += bytes;
    block->count++;
    block->sequence = record_sequence(record);
    return ERR_OK;
}

uint32_t journal_block_seal(journal_block_t *block, journal_pos_t *pos, uint64_t durable)
{
    const uint32_t bytes = (block->used + JOURNAL_BLOCK_BYTES - 1) / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
    assert(block->first == pos->record + 1 && durable < block->first);
    journal_block_page_t page = {.magic   = JOURNAL_MAGIC,
                                 .bytes   = bytes,
                                 .used    = block->used,
                                 .count   = block->count,
                                 .first   = block->first,
                                 .last    = block->first + block->count - 1,
                                 .durable = durable};
    memcpy(page.before, pos->chain, sizeof page.before);
    memset(block->buf + block->used, 0, bytes - block->used);
    memcpy(block->buf, &page, sizeof page);
    journal_block_hash(block->buf, bytes, page.hash);
    page.crc = journal_block_crc(&page);
    memcpy(block->buf, &page, sizeof page);
    memcpy(pos->chain, page.hash, sizeof pos->chain);
    pos->offset += bytes;
    pos->record   = page.last;
    pos->sequence = block->sequence;
    return bytes;
}
