/* The journal files. Invariants checked:
 *   - what was written is read back, over files, blocks and seeks: every record, its number, its place
 *   - J1: cut at every byte of the last block, and across the whole file: every whole batch before the cut is delivered,
 *     nothing else, and a sentence says that something is missing
 *   - J2: each single bit of a 64 KiB journal flipped: always noticed; every whole batch that ends before the flip is
 *     delivered, never one that was changed; nothing behind a damaged block. With durable claims it is a fault unless it
 *     is in the last block
 *   - J3: blocks swapped, doubled, left out, zeroed, of another session, garbage behind the end: refused
 *   - files of another session, configuration, core version; a missing file; a head that was changed: refused by name
 * The model is an array of the records that were written. Power loss and writing on: tests/tools/test_journal_writer.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/journal_private.h"
#include "tests/lib/journal_model.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                                                   \
    defined(__clang__) /* slow, or not the first to ask */
#define EVERY_BIT false
#else
#define EVERY_BIT (getenv("HWAL_QUICK") == NULL) /* the inner loop flips one bit a byte */
#endif

#define FILES 3u
#define BLOCKS_MAX 256u

typedef struct writer {
    int             fds[FILES];
    uint64_t        numbers[FILES];
    uint32_t        file_bytes;
    journal_id_t    id;
    journal_pos_t   pos;
    journal_block_t block;
    uint64_t        durable;
    uint64_t        sequence;
    uint32_t        lag; /* durable stays behind by so many records; UINT32_MAX = never rises */
    uint32_t        block_count;
    uint32_t        block_bytes[BLOCKS_MAX];
    journal_pos_t   block_pos[BLOCKS_MAX];
} writer_t;

static _Alignas(4096) uint8_t block_buf[JOURNAL_BLOCK_MAX];

static const journal_id_t id_a = {.session = 0x1122334455667788, .config_hash = 42, .core_version = 1};

static void begin_file(writer_t *w)
{
    uint8_t        head[JOURNAL_BLOCK_BYTES];
    journal_file_t file = {.id = w->id, .pos = w->pos, .bytes = w->file_bytes, .epoch = 7, .build_id = "test"};
    journal_file_head(head, &file);
    assert_int_equal(pwrite(w->fds[w->pos.file_number - 1], head, sizeof head, 0), sizeof head);
}

static void writer_open(writer_t *w, const journal_id_t *id, uint32_t file_bytes)
{
    memset(w, 0, sizeof *w);
    w->id         = *id;
    w->file_bytes = file_bytes;
    for (uint32_t i = 0; i < FILES; i++) {
        w->fds[i]     = memfd_create("journal", 0);
        w->numbers[i] = i + 1;
        assert_int_equal(ftruncate(w->fds[i], file_bytes), 0);
    }
    journal_pos_first(&w->pos, id);
    begin_file(w);
    journal_block_begin(&w->block, block_buf, &w->pos);
}

static void writer_close(writer_t *w)
{
    for (uint32_t i = 0; i < FILES; i++) {
        close(w->fds[i]);
    }
}

static void put_block(writer_t *w)
{
    const uint64_t offset        = w->pos.offset;
    const uint32_t file          = (uint32_t)w->pos.file_number;
    const uint64_t first         = w->block.first;
    const uint64_t last          = first + w->block.count - 1;
    const uint64_t durable       = w->lag == UINT32_MAX ? 0 : first - 1 > w->lag ? first - 1 - w->lag : 0;
    w->block_pos[w->block_count] = w->pos;
    const uint32_t bytes         = journal_block_seal(&w->block, &w->pos, durable);
    assert_int_equal(pwrite(w->fds[file - 1], block_buf, bytes, (off_t)offset), bytes);
    uint64_t at = offset + JOURNAL_BLOCK_HEAD;
    for (uint64_t n = first; n <= last; n++) {
        at += journal_record_bytes(model[n].len);
        model[n].end      = at;
        model[n].block_at = (uint32_t)offset;
    }
    w->block_bytes[w->block_count++] = bytes;
    journal_block_begin(&w->block, block_buf, &w->pos);
}

static void next_file(writer_t *w)
{
    journal_pos_next_file(&w->pos);
    begin_file(w);
    journal_block_begin(&w->block, block_buf, &w->pos);
}

static void write_batch(writer_t *w, uint32_t outputs)
{
    const uint64_t first = w->block.first + w->block.count;
    model_batch(first, ++w->sequence, outputs);
    for (uint32_t i = 0; i <= outputs; i++) {
        assert_int_equal(journal_block_add(&w->block, model[first + i].bytes, model[first + i].len), ERR_OK);
    }
}

/* Batches until the file has no room for a block of `block` bytes; a block goes when it is that full. */
static void fill_file(writer_t *w, uint32_t block)
{
    while (w->pos.offset + block + 2 * JOURNAL_BLOCK_BYTES <= w->file_bytes) {
        write_batch(w, (uint32_t)(model_rnd() % 5));
        if (w->block.used >= block) {
            put_block(w);
        }
    }
    if (w->block.count > 0) {
        put_block(w);
    }
}

static uint64_t last_number(const writer_t *w)
{
    return w->pos.record;
}

typedef struct result {
    err_t         err;
    uint64_t      count; /* records delivered, each equal to the model's */
    journal_end_t end;
    char          what[512];
} result_t;

/* Read it all and compare with the model from the record behind `from` on. */
static result_t read_all(const writer_t *w, uint32_t files, const journal_id_t *id)
{
    journal_reader_t *r;
    journal_entry_t   e;
    result_t          out = {0};
    out.err               = journal_open(w->fds, w->numbers, files, id, &r);
    if (out.err != ERR_OK) {
        snprintf(out.what, sizeof out.what, "%s", err_msg());
        return out;
    }
    while ((out.err = journal_next(r, &e)) == ERR_OK) {
        out.count++;
        assert_int_equal(e.number, out.count);
        assert_int_equal(e.len, model[e.number].len);
        assert_memory_equal(e.bytes, model[e.number].bytes, e.len);
        assert_true(e.record.sequence == model[e.number].sequence);
    }
    if (out.err != ERR_END) {
        snprintf(out.what, sizeof out.what, "%s", err_msg());
        assert_int_equal(journal_next(r, &e), out.err); /* for good */
    }
    out.end      = *journal_end(r);
    out.end.keep = NULL;
    journal_close(r);
    return out;
}

static void test_journal_crc32c_is_the_known_one(void **state)
{
    (void)state;
    assert_int_equal(journal_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(journal_crc32c_more(journal_crc32c("1234", 4), "56789", 5), 0xe3069283);
    uint8_t zeros[32] = {0}; /* RFC 3720, B.4 */
    assert_int_equal(journal_crc32c(zeros, 32), 0x8a9136aa);
}

static void test_journal_reads_back_what_was_written(void **state)
{
    (void)state;
    writer_t w;
    writer_open(&w, &id_a, 96 * 1024);
    fill_file(&w, 5000);
    const uint64_t in_first = last_number(&w), seq_first = w.sequence;
    next_file(&w);
    fill_file(&w, 20000);
    result_t got = read_all(&w, FILES, NULL); /* the third is a spare */
    assert_int_equal(got.err, ERR_END);
    assert_int_equal(got.count, last_number(&w));
    assert_string_equal(got.end.note, "");
    assert_memory_equal(got.end.pos.chain, w.pos.chain, 32);
    assert_int_equal(got.end.pos.offset, w.pos.offset);
    assert_int_equal(got.end.pos.file_number, 2);
    assert_int_equal(got.end.pos.sequence, w.sequence);
    assert_false(got.end.dirty);

    journal_reader_t *r;
    journal_entry_t   e;
    for (uint64_t sequence = 0; sequence <= w.sequence; sequence += 1 + sequence / 3) {
        assert_int_equal(journal_open(w.fds, w.numbers, FILES, &id_a, &r), ERR_OK);
        assert_int_equal(journal_seek(r, sequence), ERR_OK);
        const err_t err = journal_next(r, &e);
        assert_int_equal(err, sequence == w.sequence ? ERR_END : ERR_OK);
        if (err == ERR_OK) {
            assert_int_equal(e.record.sequence, sequence + 1);
            assert_int_equal(e.record.head.kind, RECORD_INPUT);
            assert_int_equal(e.file_number, sequence >= seq_first ? 2 : 1);
            assert_int_equal(e.offset + JOURNAL_RECORD_HEAD + ((e.len + 7u) & ~7u), model[e.number].end);
        }
        journal_close(r);
    }
    journal_end_t end;
    assert_int_equal(journal_open(w.fds, w.numbers, FILES, &id_a, &r), ERR_OK);
    assert_int_equal(journal_scan_end(r, true, &end), ERR_OK);
    assert_int_equal(end.pos.record, last_number(&w));
    assert_memory_equal(&end.pos, &w.pos, sizeof end.pos);
    journal_close(r);

    assert_int_equal(journal_open(w.fds + 1, w.numbers + 1, 1, &id_a, &r), ERR_OK); /* older files may be gone */
    assert_int_equal(journal_seek(r, seq_first - 1), ERR_GAP);
    journal_close(r);
    assert_int_equal(journal_open(w.fds + 1, w.numbers + 1, 1, &id_a, &r), ERR_OK);
    assert_int_equal(journal_seek(r, seq_first), ERR_OK);
    assert_int_equal(journal_next(r, &e), ERR_OK);
    assert_int_equal(e.number, in_first + 1);
    journal_close(r);
    writer_close(&w);
}

static void test_journal_refuses_other_files_by_name(void **state)
{
    (void)state;
    static const struct {
        journal_id_t id;
        const char  *word;
    } others[] = {{{.session = 1, .config_hash = 42, .core_version = 1}, "session"},
                  {{.session = 0x1122334455667788, .config_hash = 43, .core_version = 1}, "configuration"},
                  {{.session = 0x1122334455667788, .config_hash = 42, .core_version = 2}, "core version"}};
    writer_t w, other;
    writer_open(&w, &id_a, 65536);
    fill_file(&w, 4000);
    for (size_t i = 0; i < 3; i++) {
        const result_t got = read_all(&w, FILES, &others[i].id);
        assert_int_equal(got.err, ERR_UNSUPPORTED);
        assert_non_null(strstr(got.what, "000001.hj"));
        assert_non_null(strstr(got.what, others[i].word));
    }
    writer_open(&other, &others[0].id, 65536);
    fill_file(&other, 4000);
    next_file(&other);
    fill_file(&other, 4000);
    const int mixed[] = {w.fds[0], other.fds[1]};
    writer_t  mix     = w;
    mix.fds[1]        = mixed[1];
    result_t got      = read_all(&mix, 2, NULL);
    assert_int_equal(got.err, ERR_UNSUPPORTED);
    assert_non_null(strstr(got.what, "000002.hj: session"));
    mix.numbers[1] = 3;
    assert_int_equal(read_all(&mix, 2, NULL).err, ERR_GAP);
    mix.fds[1]     = w.fds[0]; /* the same file twice */
    mix.numbers[1] = 2;
    assert_int_equal(read_all(&mix, 2, NULL).err, ERR_PARSE);
    assert_int_equal(read_all(&mix, 0, NULL).err, ERR_NOT_FOUND);
    mix.fds[0] = w.fds[2]; /* a spare one alone */
    assert_int_equal(read_all(&mix, 1, NULL).err, ERR_NOT_FOUND);
    writer_close(&w);
    writer_close(&other);
}

/* Behind the cut everything reads as zeros: a record whose last bytes are zeros anyhow is still whole. */
static bool is_whole(const uint8_t *file, uint64_t cut, uint64_t end)
{
    while (cut < end && file[cut] == 0) {
        cut++;
    }
    return cut >= end;
}

/* J1. A cut is noticed whenever it takes anything, the zeros at the end included. */
static void test_journal_cut_keeps_whole_batches(void **state)
{
    (void)state;
    writer_t w;
    writer_open(&w, &id_a, 65536);
    fill_file(&w, 4000);
    const uint64_t last = last_number(&w), end = w.pos.offset;
    static uint8_t whole[65536];
    assert_int_equal(pread(w.fds[0], whole, sizeof whole, 0), sizeof whole);
    for (uint64_t cut = end; cut > JOURNAL_BLOCK_BYTES; cut -= end - cut < 8192 ? 1 : 1 + model_rnd() % 200) {
        assert_int_equal(ftruncate(w.fds[0], (off_t)cut), 0);
        uint64_t whole_records = 0;
        while (whole_records < last && is_whole(whole, cut, model[whole_records + 1].end)) {
            whole_records++;
        }
        const result_t got = read_all(&w, 1, &id_a);
        assert_int_equal(got.err, ERR_END);
        assert_int_equal(got.count, model_whole(whole_records));
        assert_string_not_equal(got.end.note, "");
        assert_int_equal(got.end.pos.record, got.count);
        assert_int_equal(ftruncate(w.fds[0], 65536), 0);
        assert_int_equal(pwrite(w.fds[0], whole + cut, 65536 - cut, (off_t)cut), 65536 - cut);
    }
    assert_int_equal(read_all(&w, 1, &id_a).count, last);
    writer_close(&w);
}

/* A file that begins at block b of w's first file, as if everything before it were in files that are gone; mapped. */
static uint8_t *part_open(const writer_t *w, uint32_t b, writer_t *part, uint64_t *shift)
{
    uint8_t whole[65536];
    *shift = w->block_pos[b].offset - JOURNAL_BLOCK_BYTES;
    memset(part, 0, sizeof *part);
    part->id         = w->id;
    part->file_bytes = w->file_bytes - (uint32_t)*shift;
    part->pos        = w->block_pos[b];
    part->fds[1]     = memfd_create("part", 0);
    part->numbers[1] = part->pos.file_number = 2;
    part->pos.offset                         = JOURNAL_BLOCK_BYTES;
    assert_int_equal(ftruncate(part->fds[1], part->file_bytes), 0);
    begin_file(part);
    const size_t len = part->file_bytes - JOURNAL_BLOCK_BYTES;
    assert_int_equal(pread(w->fds[0], whole, len, (off_t)w->block_pos[b].offset), len);
    assert_int_equal(pwrite(part->fds[1], whole, len, JOURNAL_BLOCK_BYTES), len);
    uint8_t *map = mmap(NULL, part->file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, part->fds[1], 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    return map;
}

typedef struct tally {
    uint64_t flips, faults, notes, refused;
} tally_t;

/* One flip at `at` of w's file, seen through the part that begins at `shift`: from record `from` on, want records. */
static void flip(const writer_t *part, uint8_t *map, uint64_t shift, uint64_t at, uint64_t want, bool fault, tally_t *t)
{
    journal_reader_t *r;
    journal_entry_t   e;
    uint64_t          last  = part->pos.record;
    const bool        every = EVERY_BIT;
    for (uint32_t bit = 0; bit < 8; bit++) {
        if (!every && bit != at % 8) {
            continue;
        }
        map[at - shift] ^= (uint8_t)(1 << bit);
        t->flips++;
        assert_int_equal(journal_open(part->fds + 1, part->numbers + 1, 1, &part->id, &r), ERR_OK);
        err_t err;
        while ((err = journal_next(r, &e)) == ERR_OK) {
            assert_int_equal(e.number, ++last);
            assert_true(e.len == model[last].len && memcmp(e.bytes, model[last].bytes, e.len) == 0);
        }
        assert_int_equal(err, fault ? ERR_PARSE : ERR_END);
        assert_string_not_equal(journal_end(r)->note, "");
        assert_int_equal(last, want);
        t->faults += err != ERR_END;
        t->notes += err == ERR_END;
        journal_close(r);
        map[at - shift] ^= (uint8_t)(1 << bit);
        last = part->pos.record;
    }
}

/* J2. A reader that began at the front for each flip would hash the file half a million times; the front was read whole
 * by another test, so the walk begins at the block with the flip. HWAL_SOAK=1: from the front. */
static void flip_all(uint32_t lag)
{
    writer_t w, part;
    uint64_t shift;
    tally_t  t    = {0};
    bool     soak = getenv("HWAL_SOAK") != NULL;
    writer_open(&w, &id_a, 65536);
    w.lag = lag;
    fill_file(&w, 2000);
    const uint64_t last = last_number(&w);
    put_block(&w); /* empty, as at an orderly stop: says that all before it is durable */
    uint8_t *map = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, w.fds[0], 0);
    for (uint64_t at = 0; at < JOURNAL_BLOCK_BYTES; at++) {
        for (uint32_t bit = 0; bit < 8; bit++) { /* the file's head: everything lies behind it */
            journal_reader_t *r;
            map[at] ^= (uint8_t)(1 << bit);
            const err_t err = journal_open(w.fds, w.numbers, 1, &id_a, &r);
            assert_true(err == ERR_PARSE || err == ERR_UNSUPPORTED);
            map[at] ^= (uint8_t)(1 << bit);
            t.flips++;
            t.refused++;
        }
    }
    munmap(map, 65536);
    for (uint32_t b = 0; b < w.block_count; b++) {
        const uint64_t begin = w.block_pos[b].offset;
        const uint64_t data  = begin + w.block_bytes[b];
        const uint64_t end   = b + 1 < w.block_count ? data : 65536;
        map                  = part_open(&w, soak ? 0 : b, &part, &shift);
        for (uint64_t at = begin; at < end; at++) {
            uint64_t before = w.block_pos[b].record;
            while (at >= begin + JOURNAL_BLOCK_HEAD && before < last && model[before + 1].end <= at) {
                before++;
            }
            const uint64_t want = model_whole(before);
            flip(&part, map, shift, at, want, at < data && b + 1 < w.block_count && lag == 0, &t);
        }
        munmap(map, part.file_bytes);
        close(part.fds[1]);
    }
    printf("%llu bits: %llu refused by the file's head, %llu faults, %llu ends with a note\n",
           (unsigned long long)t.flips, (unsigned long long)t.refused, (unsigned long long)t.faults,
           (unsigned long long)t.notes);
    assert_int_equal(t.flips, EVERY_BIT ? 65536 * 8 : JOURNAL_BLOCK_BYTES * 8 + 65536 - JOURNAL_BLOCK_BYTES);
    writer_close(&w);
}

static void test_journal_every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    flip_all(0);
}

/* The same when nothing was ever synced: no damage can be told from a power loss, so each is an end with a note. */
static void test_journal_unsynced_damage_is_an_end(void **state)
{
    (void)state;
    writer_t w, part;
    uint64_t shift;
    tally_t  t = {0};
    writer_open(&w, &id_a, 65536);
    w.lag = UINT32_MAX;
    fill_file(&w, 2000);
    uint8_t *map = part_open(&w, 0, &part, &shift);
    for (uint64_t at = JOURNAL_BLOCK_BYTES; at < w.pos.offset; at += 1 + model_rnd() % 64) {
        uint64_t before = 0;
        while (model[before + 1].block_at + JOURNAL_BLOCK_HEAD <= at && model[before + 1].end <= at &&
               before < last_number(&w)) {
            before++;
        }
        flip(&part, map, shift, at, model_whole(before), false, &t);
    }
    assert_true(t.notes > 1000 && t.faults == 0);
    munmap(map, part.file_bytes);
    close(part.fds[1]);
    writer_close(&w);
}

/* J3: blocks moved about in a journal whose records are all durable but the last block's. bytes: of the file. */
static void expect(const writer_t *w, const uint8_t *bytes, uint64_t want, err_t err, const char *word)
{
    assert_int_equal(pwrite(w->fds[0], bytes, 65536, 0), 65536);
    const result_t got = read_all(w, 1, &id_a);
    assert_int_equal(got.err, err);
    assert_int_equal(got.count, want);
    assert_non_null(strstr(got.end.note, word));
    assert_non_null(strstr(got.end.note, "000001.hj, offset "));
}

static void test_journal_edited_files_are_refused(void **state)
{
    (void)state;
    static uint8_t     whole[65536], edit[65536], foreign[65536];
    const journal_id_t yesterday = {.session = 5, .config_hash = 42, .core_version = 1};
    writer_t           w, other;
    writer_open(&other, &yesterday, 65536);
    while (other.block_count < 10) {
        write_batch(&other, 0);
        put_block(&other);
    }
    assert_int_equal(pread(other.fds[0], foreign, 65536, 0), 65536);
    writer_open(&w, &id_a, 65536);
    while (w.block_count < 10) { /* ten blocks of a page each */
        write_batch(&w, 1);
        put_block(&w);
    }
    assert_int_equal(pread(w.fds[0], whole, 65536, 0), 65536);
    const uint64_t last = last_number(&w);
    for (uint32_t a = 0; a < 10; a++) {
        uint8_t *const at = edit + JOURNAL_BLOCK_BYTES * (a + 1);
        for (uint32_t b = a + 1; b < 10; b++) { /* swapped */
            memcpy(edit, whole, 65536);
            memcpy(at, whole + JOURNAL_BLOCK_BYTES * (b + 1), JOURNAL_BLOCK_BYTES);
            memcpy(edit + JOURNAL_BLOCK_BYTES * (b + 1), whole + JOURNAL_BLOCK_BYTES * (a + 1), JOURNAL_BLOCK_BYTES);
            expect(&w, edit, 2 * a, ERR_PARSE, "hash chain");
        }
        for (uint32_t b = 0; b < 10; b++) { /* doubled: b over a */
            memcpy(edit, whole, 65536);
            memcpy(at, whole + JOURNAL_BLOCK_BYTES * (b + 1), JOURNAL_BLOCK_BYTES);
            if (b != a) { /* over the last one: nothing that follows shows more; named all the same */
                expect(&w, edit, 2 * a, a < 9 ? ERR_PARSE : ERR_END, "hash chain");
            }
        }
        memcpy(edit, whole, 65536); /* zeroed */
        memset(at, 0, JOURNAL_BLOCK_BYTES);
        if (a < 9) {
            expect(&w, edit, 2 * a, ERR_PARSE, "more was on the disk");
        }
        memmove(at, whole + JOURNAL_BLOCK_BYTES * (a + 2), 65536 - JOURNAL_BLOCK_BYTES * (a + 2)); /* left out */
        if (a < 9) {
            expect(&w, edit, 2 * a, ERR_PARSE, "hash chain");
        }
        memcpy(edit, whole, 65536); /* another day's */
        memcpy(at, foreign + JOURNAL_BLOCK_BYTES * (a + 1), JOURNAL_BLOCK_BYTES);
        expect(&w, edit, 2 * a, a < 9 ? ERR_PARSE : ERR_END, "hash chain");
    }
    memcpy(edit, whole, 65536); /* garbage in the preallocated rest: right behind the end, and later */
    edit[JOURNAL_BLOCK_BYTES * 11 + 17] = 1;
    expect(&w, edit, last, ERR_END, "no block begins here");
    memcpy(edit, whole, 65536);
    memset(edit + JOURNAL_BLOCK_BYTES * 14, 0xa5, 3000);
    expect(&w, edit, last, ERR_END, "offset 57344: not zero behind the end");
    memcpy(edit, whole, 65536); /* and blocks of another session there, good in themselves */
    memcpy(edit + JOURNAL_BLOCK_BYTES * 11, foreign + JOURNAL_BLOCK_BYTES, 5 * JOURNAL_BLOCK_BYTES);
    expect(&w, edit, last, ERR_END, "hash chain");
    writer_close(&w);
    writer_close(&other);
}

int main(void)
{
    mallopt(M_MMAP_THRESHOLD, 1 << 25); /* readers by the hundred thousand: their memory is not to be mapped anew */
    mallopt(M_TRIM_THRESHOLD, 1 << 28);
    const char *given = getenv("HWAL_SEED");
    model_seed        = given != NULL ? strtoull(given, NULL, 0) : 20251121;
    printf("HWAL_SEED=%llu\n", (unsigned long long)model_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal_crc32c_is_the_known_one),
        cmocka_unit_test(test_journal_reads_back_what_was_written),
        cmocka_unit_test(test_journal_refuses_other_files_by_name),
        cmocka_unit_test(test_journal_cut_keeps_whole_batches),
        cmocka_unit_test(test_journal_unsynced_damage_is_an_end),
        cmocka_unit_test(test_journal_edited_files_are_refused),
        cmocka_unit_test(test_journal_every_flipped_bit_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
