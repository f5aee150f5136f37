/* Invariants of a role's log:
 *   - every text that is written can be read back, in order, with level and count, also after its writer was killed
 *   - the same text within a second is one record and one more with the count; no repetition gets lost or doubled
 *   - whatever is written is one line of whole, printable characters of at most LOG_TEXT_MAX bytes, never empty
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/log.h"
#include "ipc/message.h"
#include "tests/lib/seeded.h"

#define SECOND_NS 1000000000

typedef struct fixture {
    void         *ring;
    size_t        bytes;
    log_t         log;
    ring_reader_t reader;
    uint64_t      buf[LOG_STRIDE / 8];
} fixture_t;

static fixture_t *fixture_make(void)
{
    static fixture_t f;
    f      = (fixture_t){.bytes = ring_broadcast_footprint(LOG_SLOTS, LOG_STRIDE)};
    f.ring = mmap(NULL, f.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(f.ring != MAP_FAILED && ring_broadcast_new(f.ring, LOG_SLOTS, LOG_STRIDE) == f.ring);
    MUST(ring_writer_join(&f.log.ring, f.ring, f.bytes) == ERR_OK);
    MUST(ring_reader_join(&f.reader, f.ring, f.bytes, RING_OLDEST) == ERR_OK);
    return &f;
}

/* The next record, which must be there. */
static const char *next(fixture_t *f, log_level_t level, uint32_t count)
{
    ring_meta_t meta;
    msg_t       msg;
    assert_int_equal(ring_read(&f->reader, f->buf, sizeof(f->buf), &meta), ERR_OK);
    assert_int_equal(meta.type, MSG_LOG);
    assert_int_equal(message_read(MSG_LOG, f->buf, meta.len, &msg), ERR_OK);
    const log_record_t *record = msg.body;
    assert_int_equal(record->level, level);
    assert_int_equal(record->count, count);
    assert_true(record->utc_ns > 1500000000ll * SECOND_NS);
    return msg.text;
}

static void none(fixture_t *f)
{
    ring_meta_t meta;
    assert_int_equal(ring_read(&f->reader, f->buf, sizeof(f->buf), &meta), ERR_EMPTY);
}

static void test_log_writes_what_is_said(void **state)
{
    (void)state;
    fixture_t *f = fixture_make();
    log_write(&f->log, LOG_INFO, "journal %d: %s", 7, "opened");
    log_write(&f->log, LOG_ERROR, "%s", "가격 제한");
    assert_string_equal(next(f, LOG_INFO, 1), "journal 7: opened");
    assert_string_equal(next(f, LOG_ERROR, 1), "가격 제한");
    none(f);
    munmap(f->ring, f->bytes);
}

static void test_log_counts_what_is_repeated(void **state)
{
    (void)state;
    fixture_t *f = fixture_make();
    for (int i = 0; i < 5; i++) {
        log_write(&f->log, LOG_WARN, "ring full");
    }
    next(f, LOG_WARN, 1);
    none(f);
    const int64_t begin = f->log.last_mono_ns;
    log_flush(&f->log, begin + SECOND_NS - 1);
    none(f);
    log_flush(&f->log, begin + SECOND_NS);
    assert_string_equal(next(f, LOG_WARN, 4), "ring full");
    log_flush(&f->log, begin + 2ll * SECOND_NS);
    none(f); /* nothing new */
    f->log.last_mono_ns = begin;
    log_write(&f->log, LOG_WARN, "ring full");
    log_write(&f->log, LOG_ERROR, "ring full"); /* another level is another text; what was counted comes first */
    next(f, LOG_WARN, 1);
    next(f, LOG_ERROR, 1);
    none(f);
    f->log.last_mono_ns -= 2ll * SECOND_NS; /* its second is over */
    log_write(&f->log, LOG_ERROR, "ring full");
    next(f, LOG_ERROR, 1);
    log_write(&f->log, LOG_ERROR, "ring full");
    f->log.last_mono_ns -= 2ll * SECOND_NS;
    log_write(&f->log, LOG_INFO, "ring empty");
    next(f, LOG_ERROR, 1);
    next(f, LOG_INFO, 1);
    none(f);
    munmap(f->ring, f->bytes);
}

static bool whole_utf8(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        const int more = *c >= 0xF0 ? 3 : *c >= 0xE0 ? 2 : *c >= 0xC0 ? 1 : 0;
        for (int i = 1; i <= more; i++) {
            if ((c[i] & 0xC0) != 0x80) {
                return false;
            }
        }
        c += more + 1;
    }
    return true;
}

static void test_log_text_is_one_printable_line(void **state)
{
    (void)state;
    fixture_t *f = fixture_make();
    log_write(&f->log, LOG_INFO, "%s", "");
    assert_string_equal(next(f, LOG_INFO, 1), "(nothing)");
    log_write(&f->log, LOG_INFO, "a\nb\x1b[31m\tc\x7f");
    assert_string_equal(next(f, LOG_INFO, 1), "a b [31m c ");
    static const char *const letters[] = {"x", "é", "활", "\xF0\x9F\x8F\xB9"};
    char                     text[1024];
    for (size_t letter = 0; letter < 4; letter++) {
        const size_t size = strlen(letters[letter]);
        for (size_t lead = 0; lead < 4; lead++) { /* cut at every place of a character */
            memset(text, '.', lead);
            for (size_t i = lead; i + size < 500; i += size) {
                memcpy(text + i, letters[letter], size + 1);
            }
            log_write(&f->log, LOG_INFO, "%s", text);
            const char *said = next(f, LOG_INFO, 1);
            assert_true(strlen(said) <= LOG_TEXT_MAX && strlen(said) > LOG_TEXT_MAX - size);
            assert_memory_equal(said, text, strlen(said));
            assert_true(whole_utf8(said));
        }
    }
    none(f);
    munmap(f->ring, f->bytes);
}

static void test_log_without_a_ring_goes_to_stderr(void **state)
{
    (void)state;
    int   ends[2];
    char  said[64] = "";
    log_t log      = {0};
    fflush(stderr);
    const int old = dup(2);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], 2);
    log_write(&log, LOG_INFO, "no segment %d", 1);
    log_flush(&log, INT64_MAX);
    dup2(old, 2);
    assert_int_equal(read(ends[0], said, sizeof(said) - 1), strlen("no segment 1\n"));
    assert_string_equal(said, "no segment 1\n");
    close(ends[0]);
    close(ends[1]);
    close(old);
}

static void test_log_is_read_after_its_writer_was_killed(void **state)
{
    (void)state;
    fixture_t  *f   = fixture_make();
    const pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 1000; i++) {
            log_write(&f->log, LOG_WARN, "line %d", i);
        }
        raise(SIGKILL);
    }
    MUST(waitpid(pid, NULL, 0) == pid);
    ring_meta_t meta;
    assert_int_equal(ring_read(&f->reader, f->buf, sizeof(f->buf), &meta), ERR_GAP);
    assert_int_equal(f->reader.lost, 1000 - LOG_SLOTS);
    for (int i = 1000 - (int)LOG_SLOTS; i < 1000; i++) {
        char want[32];
        snprintf(want, sizeof(want), "line %d", i);
        assert_string_equal(next(f, LOG_WARN, 1), want);
    }
    none(f);
    munmap(f->ring, f->bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_writes_what_is_said),
        cmocka_unit_test(test_log_counts_what_is_repeated),
        cmocka_unit_test(test_log_text_is_one_printable_line),
        cmocka_unit_test(test_log_without_a_ring_goes_to_stderr),
        cmocka_unit_test(test_log_is_read_after_its_writer_was_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
