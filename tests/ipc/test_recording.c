/* A recording against a plain array of what was written: every message type with random contents, every place at which
 * the file can be cut, every byte changed, every way of seeking; what a hostile file may do is tests/fuzz/fuzz_recording.c. */
#include "ipc/message.h"
#include "ipc/recording.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/ref/instrument.h"
#include "tests/lib/seeded.h"

#define ENTRIES_MAX 20000u

typedef struct kept {        /* what was written */
    recording_entry_t entry; /* msg.body, tail and text point below */
    uint64_t          body[32], tail[BOOK_UPDATE_MAX_LEVELS * 4];
    char              text[64];
} kept_t;

typedef struct model {
    kept_t  *kept;
    uint32_t count;
    bool     key[ENTRIES_MAX]; /* a sync begins with this one */
    int64_t  ts;
    uint64_t rng, seq[3];
    int      fd;
} model_t;

static const char path[] = "test";

static int64_t near(uint64_t *rng, int64_t value)
{
    const uint64_t r = seeded_next(rng);
    return r % 16 == 0 ? (int64_t)seeded_next(rng) : (int64_t)((uint64_t)value + r % 1000 - 500);
}

static void fill(kept_t *k, msg_type_t type, uint64_t *rng)
{
    recording_entry_t *e = &k->entry;
    e->msg               = (msg_t){.type = type, .body = k->body};
    for (size_t i = 0; i < msg_body_size(type) / 8; i++) {
        k->body[i] = (uint64_t)near(rng, (int64_t)i * 1000000);
    }
    uint32_t words = 0;
    if (type == MSG_BOOK_UPDATE) {
        book_update_t *upd = (book_update_t *)(void *)k->body;
        const uint32_t n   = (uint32_t)(seeded_next(rng) % (BOOK_UPDATE_MAX_LEVELS + 1));
        upd->bid_count     = (uint16_t)(seeded_next(rng) % (n + 1));
        upd->ask_count     = (uint16_t)(n - upd->bid_count);
        e->msg.tail_count  = n;
        words              = 2;
    } else if (type == MSG_MBO_UPDATE) {
        e->msg.tail_count                              = (uint32_t)(seeded_next(rng) % (MBO_UPDATE_MAX_ENTRIES + 1));
        ((mbo_update_t *)(void *)k->body)->entry_count = (uint16_t)e->msg.tail_count;
        words                                          = 4;
    } else if (type == MSG_INSTRUMENT_DEF) {
        e->msg.tail_count = (uint32_t)(1 + seeded_next(rng) % INSTRUMENT_MAX_BANDS);
        words             = 2;
    }
    if (message_bytes(type, 0) == 0) {
        snprintf(k->text, sizeof k->text, "S%u", (unsigned)(seeded_next(rng) % 100000));
        e->msg.text = k->text;
    }
    for (uint32_t i = 0; i < e->msg.tail_count * words; i++) {
        k->tail[i] = (uint64_t)near(rng, 6000000);
    }
    e->msg.tail = words ? k->tail : NULL;
}

static void stamp(kept_t *k, int64_t ts)
{
    switch (k->entry.msg.type) {
    case MSG_BOOK_UPDATE: ((book_update_t *)(void *)k->body)->ts_recv_ns = ts; break;
    case MSG_MBO_UPDATE: ((mbo_update_t *)(void *)k->body)->ts_recv_ns = ts; break;
    case MSG_TRADE: ((trade_t *)(void *)k->body)->ts_recv_ns = ts; break;
    case MSG_TOP: ((top_t *)(void *)k->body)->ts_recv_ns = ts; break;
    default: return;
    }
    assert_int_equal(recording_time(&k->entry.msg), ts);
}

static msg_type_t any_type(uint64_t *rng)
{
    static const msg_type_t often[] = {MSG_BOOK_UPDATE, MSG_TRADE, MSG_TOP};
    const uint64_t          r       = seeded_next(rng);
    return r % 4 != 0 ? often[r / 4 % 3] : (msg_type_t)(1 + r / 16 % (MSG_TYPE_COUNT - 1));
}

static void *take_memory(size_t bytes)
{
    const size_t align = recording_align();
    void        *mem   = aligned_alloc(align, (bytes + align - 1) / align * align);
    assert_non_null(mem);
    return mem;
}

/* count entries; a block ends here and there, a sync begins here and there. */
static void write_some(model_t *m, uint32_t count, uint32_t flush_every, bool finish)
{
    recording_about_t   about = {.began_ns = 1, .source_count = 3, .instance = "test", .source = {"a", "b", "c"}};
    recording_writer_t *w;
    void               *mem = take_memory(recording_writer_footprint());
    m->fd                   = memfd_create("recording", 0);
    m->kept                 = calloc(count, sizeof *m->kept);
    assert_true(m->fd >= 0 && m->kept);
    assert_int_equal(recording_create(mem, m->fd, path, &about, &w), ERR_OK);
    m->key[0] = true;
    m->ts     = 1700000000000000000;
    for (m->count = 0; m->count < count; m->count++) {
        kept_t            *k = &m->kept[m->count];
        recording_entry_t *e = &k->entry;
        fill(k, any_type(&m->rng), &m->rng);
        if (seeded_next(&m->rng) % flush_every == 0) {
            if (seeded_next(&m->rng) % 3 == 0) {
                assert_int_equal(recording_sync(w), ERR_OK);
                recording_synced(w);
                m->key[m->count] = true;
            } else {
                assert_int_equal(recording_flush(w), ERR_OK);
            }
        }
        const int64_t next = m->ts + (m->count != 0 ? (int64_t)(seeded_next(&m->rng) % 2000000) - 1000 : 0);
        if (seeded_next(&m->rng) % 2) { /* a message that says its own time */
            stamp(k, next);
        }
        e->ts_ns             = next;
        e->source            = (uint8_t)(seeded_next(&m->rng) % 3);
        e->topic             = (uint32_t)(seeded_next(&m->rng) % (seeded_next(&m->rng) % 50 ? 8 : 100000));
        e->tenant            = seeded_next(&m->rng) % 100 == 0 ? 7 : 0;
        e->seq               = m->seq[e->source] += seeded_next(&m->rng) % 50 == 0 ? seeded_next(&m->rng) % 1000 : 1;
        e->flags             = seeded_next(&m->rng) % 20 == 0 ? RECORDING_REFRESH : 0;
        e->flags |= seeded_next(&m->rng) % 100 == 0 ? RECORDING_LOSS : 0;
        assert_int_equal(recording_write(w, e), ERR_OK);
        e->number = m->count + 1;
        e->ts_ns = m->ts = e->ts_ns > m->ts ? e->ts_ns : m->ts; /* never back */
    }
    assert_int_equal(recording_entries(w), count);
    assert_int_equal(finish ? recording_finish(w, 0) : recording_flush(w), ERR_OK);
    assert_int_equal(lseek(m->fd, 0, SEEK_END), (off_t)recording_bytes(w));
    free(mem);
}

static void model_free(model_t *m)
{
    close(m->fd);
    free(m->kept);
}

static bool same(const recording_entry_t *is, const recording_entry_t *want)
{
    const size_t element = want->msg.type == MSG_MBO_UPDATE ? 32 : 16;
    return is->msg.type == want->msg.type && is->number == want->number && is->seq == want->seq &&
           is->ts_ns == want->ts_ns && is->topic == want->topic && is->tenant == want->tenant &&
           is->source == want->source && is->flags == want->flags && is->msg.tail_count == want->msg.tail_count &&
           memcmp(is->msg.body, want->msg.body, msg_body_size(want->msg.type)) == 0 &&
           (want->msg.tail_count == 0 || memcmp(is->msg.tail, want->msg.tail, want->msg.tail_count * element) == 0) &&
           (!want->msg.text || strcmp(is->msg.text, want->msg.text) == 0);
}

/* All that can be read of fd: each entry must be the one that was written. Returns the last answer, *read how many. */
static err_t read_all(const model_t *m, void *mem, int fd, uint32_t *read, bool *whole)
{
    recording_reader_t *r;
    recording_entry_t   e;
    uint32_t            bad = 0;
    err_t               err = recording_open(mem, fd, path, &r);
    *read                   = 0;
    *whole                  = true;
    if (err) {
        *whole = false;
        return err;
    }
    for (;;) {
        err = recording_next(r, &e);
        if (err == ERR_OK) {
            assert_true(e.number >= 1 && e.number <= m->count && same(&e, &m->kept[e.number - 1].entry));
            ++*read;
        } else if (err == ERR_END || err == ERR_TRUNCATED || !recording_extent(r)->ended || ++bad > 100) {
            *whole &= err == ERR_END;
            return err;
        } else {
            *whole = false; /* damage: with an index it goes on behind it */
        }
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    model_t       *m   = calloc(1, sizeof *m);
    void          *mem = take_memory(recording_reader_footprint());
    const uint64_t n   = seeded_rounds(getenv("HWAL_QUICK") ? 3 : 10, 200);
    m->rng             = seeded_seed("round trip");
    for (uint64_t i = 0; i < n; i++) {
        uint32_t read;
        bool     whole;
        memset(m->key, 0, sizeof m->key);
        write_some(m, (uint32_t)(1 + seeded_next(&m->rng) % 4000), 500, true);
        assert_int_equal(read_all(m, mem, m->fd, &read, &whole), ERR_END);
        assert_true(whole);
        assert_int_equal(read, m->count);
        model_free(m);
    }
    free(mem);
    free(m);
}

/* Cut anywhere: a prefix, and a word about it. */
static void test_cut(void **state)
{
    (void)state;
    model_t *m   = calloc(1, sizeof *m);
    void    *mem = take_memory(recording_reader_footprint());
    m->rng       = seeded_seed("cut");
    write_some(m, 60, 10, true);
    const off_t bytes = lseek(m->fd, 0, SEEK_END);
    uint32_t    last  = m->count;
    for (off_t cut = bytes - 1; cut >= 0; cut -= getenv("HWAL_QUICK") ? 5 : 1) {
        uint32_t read;
        bool     whole;
        assert_int_equal(ftruncate(m->fd, cut), 0);
        const err_t err = read_all(m, mem, m->fd, &read, &whole);
        assert_int_equal(err, cut < 512 ? ERR_PARSE : ERR_TRUNCATED);
        assert_true(read <= last); /* from the front, and never more than before */
        last = read;
    }
    assert_int_equal(last, 0);
    model_free(m);
    free(mem);
    free(m);
}

/* Any byte changed: it is noticed, and nothing that is delivered is wrong. */
static void test_flip(void **state)
{
    (void)state;
    model_t *m   = calloc(1, sizeof *m);
    void    *mem = take_memory(recording_reader_footprint());
    m->rng       = seeded_seed("flip");
    for (int finish = 0; finish < 2; finish++) {
        memset(m->key, 0, sizeof m->key);
        write_some(m, 60, 10, finish);
        const off_t bytes = lseek(m->fd, 0, SEEK_END);
        uint32_t    kept  = 0;
        for (off_t at = 0; at < bytes; at += getenv("HWAL_QUICK") ? 5 : 1) {
            uint8_t  was, now;
            uint32_t read;
            bool     whole;
            assert_int_equal(pread(m->fd, &was, 1, at), 1);
            now = (uint8_t)(was ^ 1u << seeded_next(&m->rng) % 8);
            assert_int_equal(pwrite(m->fd, &now, 1, at), 1);
            const err_t err = read_all(m, mem, m->fd, &read, &whole);
            assert_false(whole);
            assert_true(err != ERR_OK && read <= m->count);
            kept += read > 0 && read < m->count;
            assert_int_equal(pwrite(m->fd, &was, 1, at), 1);
        }
        assert_true(kept > 0); /* blocks beside the damaged one were read */
        model_free(m);
    }
    free(mem);
    free(m);
}

/* Where a seek must lead: the slow way, by the blocks. */
static uint64_t sync_of(recording_reader_t *r, int64_t ts, uint64_t number)
{
    recording_block_t b;
    uint64_t          first = 1;
    for (uint64_t i = 0; recording_block(r, i, &b); i++) {
        if ((b.flags & RECORDING_KEY) && (number ? b.first <= number : b.ts_first <= ts)) {
            first = b.first;
        }
    }
    return first;
}

static void test_seek(void **state)
{
    (void)state;
    model_t            *m   = calloc(1, sizeof *m);
    void               *mem = take_memory(recording_reader_footprint());
    recording_reader_t *r;
    recording_entry_t   e;
    m->rng = seeded_seed("seek");
    for (int finish = 0; finish < 2; finish++) {
        memset(m->key, 0, sizeof m->key);
        write_some(m, 3000, 60, finish);
        assert_int_equal(recording_open(mem, m->fd, path, &r), ERR_OK);
        assert_int_equal(recording_extent(r)->ended, finish);
        assert_int_equal(recording_extent(r)->entries, m->count);
        assert_true(recording_extent(r)->blocks > 20);
        for (int i = 0; i < 100; i++) {
            const kept_t  *k      = &m->kept[seeded_next(&m->rng) % m->count];
            const uint64_t number = i % 2 ? k->entry.number : 0;
            const int64_t  ts     = k->entry.ts_ns + (i % 4 == 0 ? -1 : 0);
            const uint64_t want   = sync_of(r, ts, number);
            assert_int_equal(number ? recording_seek_number(r, number) : recording_seek_time(r, ts), ERR_OK);
            assert_true(m->key[want - 1]);
            for (uint64_t n = want; n < want + 200 && n <= m->count; n++) { /* over the ends of blocks */
                assert_int_equal(recording_next(r, &e), ERR_OK);
                assert_true(e.number == n && same(&e, &m->kept[n - 1].entry));
            }
        }
        assert_int_equal(recording_seek_time(r, 0), ERR_OK); /* before everything */
        assert_int_equal(recording_next(r, &e), ERR_OK);
        assert_int_equal(e.number, 1);
        model_free(m);
    }
    free(mem);
    free(m);
}

static void test_refusals(void **state)
{
    (void)state;
    recording_about_t   about = {.source_count = 1, .source = {"a"}};
    recording_writer_t *w;
    recording_reader_t *r;
    void     *mem = take_memory(recording_writer_footprint()), *read = take_memory(recording_reader_footprint());
    const int fd       = memfd_create("recording", 0);
    about.source_count = RECORDING_SOURCES_MAX + 1;
    assert_int_equal(recording_create(mem, fd, path, &about, &w), ERR_ARG);
    about.source_count = 1;
    assert_int_equal(recording_create(mem, fd, path, &about, &w), ERR_OK);
    tick_t            tick  = {0};
    book_update_t     upd   = {.bid_count = 2};
    recording_entry_t entry = {.msg = {.type = MSG_TYPE_COUNT, .body = &tick}};
    assert_int_equal(recording_write(w, &entry), ERR_ARG);
    entry = (recording_entry_t){.msg = {.type = MSG_TICK, .body = &tick}, .source = 1};
    assert_int_equal(recording_write(w, &entry), ERR_ARG);
    entry = (recording_entry_t){.msg = {.type = MSG_BOOK_UPDATE, .body = &upd, .tail_count = 1}};
    assert_int_equal(recording_write(w, &entry), ERR_LIMIT);
    assert_int_equal(recording_entries(w), 0);
    assert_int_equal(recording_finish(w, 5), ERR_OK); /* a recording of nothing is one */
    assert_int_equal(recording_open(read, fd, path, &r), ERR_OK);
    assert_int_equal(recording_extent(r)->end_ns, 5);
    assert_int_equal(recording_next(r, &entry), ERR_END);
    entry = (recording_entry_t){.msg = {.type = MSG_TICK, .body = &tick}};
    assert_int_equal(recording_write(w, &entry), ERR_STATE);
    close(fd);
    const int closed[2] = {memfd_create("no recording", 0), open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    assert_int_equal(write(closed[0], path, sizeof path), sizeof path);
    assert_int_equal(recording_open(read, closed[0], path, &r), ERR_PARSE);
    assert_int_equal(recording_open(read, closed[1], path, &r), ERR_UNSUPPORTED);
    close(closed[0]);
    close(closed[1]);
    const int full = open("/dev/full", O_RDWR | O_CLOEXEC);
    assert_int_equal(recording_create(mem, full, path, &about, &w), ERR_IO);
    close(full);
    free(mem);
    free(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_cut),
                                       cmocka_unit_test(test_flip), cmocka_unit_test(test_seek),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
