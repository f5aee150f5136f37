/* live: recordings into a running instance, whose engine this test plays.
 *
 * Invariants   nothing is published before every instrument has its id; a line comes when its time has come, at any speed;
 *              at speed 0 nothing is lost to an engine that takes its time; receive times are now and event times keep
 *              their distance; bad lines, cut files and an engine's broken book end trust in a book until the recording's
 *              next snapshot, and nothing else. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/types/time.h"
#include "ipc/message.h"
#include "tools/capture_live.h"

#define R0 1700000000000000000LL /* first receive time of the recordings */
#define EVENT_BEFORE_MS 7        /* event times are so much before receive times */

typedef struct world {
    config_t         *config;
    char              dir[24], path[64];
    char             *files[1];
    int               dir_fd;
    role_ctx_t        ctx;
    live_t            live;
    segment_t         engine;
    ring_cursor_t    *cursors;
    lossless_reader_t exec;
    ring_reader_t     md;
    records_writer_t  instruments, feeds;
    int64_t           mono_ns;
    uint32_t          count[MSG_TICK + 8]; /* of messages by type */
    uint32_t          parts, defs;
    feed_state_t      feed;
    book_update_t     book;
    trade_t           trade;
} world_t;

static segment_t segment_make(world_t *w, role_t role, uint32_t gen)
{
    segment_t seg;
    char      name[64];
    assert_int_equal(topology_segment(role, w->config, 0, w->dir_fd, 1, gen, &seg), ERR_OK);
    assert_int_equal(segment_publish(&seg, w->dir_fd), ERR_OK);
    snprintf(name, sizeof name, "%s.%u", topology_role_name(role), gen);
    assert_int_equal(unlinkat(w->dir_fd, name, 0), 0);
    return seg;
}

static void *object(const segment_t *seg, const char *name, segment_kind_t kind, size_t *bytes)
{
    void *at = segment_find(seg, name, kind, bytes);
    assert_non_null(at);
    return at;
}

/* text: the recording, whole. */
static world_t *world_new(const char *text, const char *speed)
{
    world_t *w = calloc(1, sizeof *w);
    size_t   bytes;
    assert_int_equal(config_load(NULL, &w->config), ERR_OK);
    memcpy(w->dir, "/tmp/test_live.XXXXXX", 22);
    assert_non_null(mkdtemp(w->dir));
    w->dir_fd = open(w->dir, O_RDONLY | O_DIRECTORY);
    snprintf(w->path, sizeof w->path, "%s/capture", w->dir);
    FILE *f = fopen(w->path, "w");
    assert_int_equal(fputs(text, f) >= 0, 1);
    fclose(f);
    w->files[0]                  = w->path;
    w->config->capture           = (config_capture_t){.files = w->files, .files_count = 1, .speed = speed};
    w->config->rings             = (config_rings_t){.md = 64, .exec = 64, .ord = 16, .jrn = 16, .ev = 16};
    w->config->engine.orders_max = 1024;
    w->mono_ns                   = role_mono_ns();
    w->ctx                       = (role_ctx_t){.role = ROLE_CAPTURE, .config = w->config, .ctl_fd = -1};
    w->ctx.words                 = aligned_alloc(128, sizeof(words_t));
    memset((void *)w->ctx.words, 0, sizeof(words_t));
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        w->ctx.fifo[r]    = -1;
        w->ctx.peer[r].fd = w->ctx.peer_before[r].fd = -1;
    }
    w->engine                = segment_make(w, ROLE_ENGINE, 1);
    w->ctx.peer[ROLE_ENGINE] = w->engine;
    w->cursors               = object(&w->engine, "cursors", SEGMENT_CURSORS, &bytes);
    void *places             = object(&w->engine, "instruments", SEGMENT_RECORDS, &bytes);
    assert_int_equal(records_writer_join(&w->instruments, places, bytes), ERR_OK);
    places = object(&w->engine, "feeds", SEGMENT_RECORDS, &bytes);
    assert_int_equal(records_writer_join(&w->feeds, places, bytes), ERR_OK);
    control_state(object(&w->engine, "control", SEGMENT_CONTROL, &bytes), ROLE_RUN);
    w->ctx.own      = segment_make(w, ROLE_CAPTURE, 2);
    w->ctx.control  = object(&w->ctx.own, "control", SEGMENT_CONTROL, &bytes);
    w->ctx.counters = object(&w->ctx.own, "counters", SEGMENT_COUNTERS, &bytes);
    w->ctx.cursors  = object(&w->ctx.own, "cursors", SEGMENT_CURSORS, &bytes);
    void *log       = object(&w->ctx.own, "log", SEGMENT_BROADCAST, &bytes);
    assert_int_equal(ring_writer_join(&w->ctx.log.ring, log, bytes), ERR_OK);
    const void *ring = object(&w->ctx.own, "md", SEGMENT_BROADCAST, &bytes);
    assert_int_equal(ring_reader_join(&w->md, ring, bytes, RING_OLDEST), ERR_OK);
    ring = object(&w->ctx.own, "exec", SEGMENT_LOSSLESS, &bytes);
    assert_int_equal(lossless_reader_join(&w->exec, ring, bytes, &w->cursors[RING_ID_EXEC_CAPTURE], 0), ERR_OK);
    assert_int_equal(live_open(&w->live, &w->ctx), ERR_OK);
    return w;
}

static void world_free(world_t *w)
{
    live_close(&w->live);
    segment_close(&w->engine);
    segment_close(&w->ctx.own);
    unlink(w->path);
    rmdir(w->dir);
    close(w->dir_fd);
    w->config->capture = (config_capture_t){0};
    config_free(w->config);
    free((void *)w->ctx.words);
    free(w);
}

/* ---- the engine's side -------------------------------------------------------------------------------------------- */

static void engine_defines(world_t *w)
{
    ring_meta_t meta;
    const void *payload;
    msg_t       msg;
    size_t      len;
    while (lossless_peek(&w->exec, &meta, &payload) == ERR_OK) {
        assert_int_equal(message_read(meta.type, payload, meta.len, &msg), ERR_OK);
        assert_int_equal(msg.type, MSG_INSTRUMENT_DEF);
        instrument_def_t def = *(const instrument_def_t *)msg.body;
        assert_int_equal(def.instrument_id, 0);
        def.instrument_id = 21 + w->defs++;
        msg.body          = &def;
        void *buf         = records_begin(&w->instruments, def.instrument_id - 1);
        assert_int_equal(message_write(&msg, buf, w->instruments.stride - RING_SLOT_HEAD, &len), ERR_OK);
        records_end(&w->instruments, def.instrument_id - 1,
                    &(ring_meta_t){.len = (uint32_t)len, .type = MSG_INSTRUMENT_DEF});
        lossless_take(&w->exec);
    }
}

static void engine_says(world_t *w, feed_health_t health, feed_reason_t reason)
{
    const feed_state_t state = {.instrument_id = 21, .health = (uint8_t)health, .reason = (uint8_t)reason};
    size_t             len;
    void              *buf = records_begin(&w->feeds, 20);
    assert_int_equal(
        message_write(&(msg_t){.type = MSG_FEED_STATE, .body = &state}, buf, w->feeds.stride - RING_SLOT_HEAD, &len),
        ERR_OK);
    records_end(&w->feeds, 20, &(ring_meta_t){.len = (uint32_t)len, .type = MSG_FEED_STATE});
}

static void engine_reads(world_t *w)
{
    uint64_t    buf[MESSAGE_BYTES_MAX / 8];
    ring_meta_t meta;
    msg_t       msg;
    err_t       err;
    while ((err = ring_read(&w->md, buf, sizeof buf, &meta)) != ERR_EMPTY) {
        assert_int_equal(err, ERR_OK); /* never lapped */
        assert_int_equal(message_read(meta.type, buf, meta.len, &msg), ERR_OK);
        w->count[msg.type]++;
        assert_int_equal(*(const uint32_t *)msg.body, 21);
        if (msg.type == MSG_FEED_STATE) {
            w->feed = *(const feed_state_t *)msg.body;
        } else if (msg.type == MSG_BOOK_UPDATE) {
            w->book = *(const book_update_t *)msg.body;
        } else if (msg.type == MSG_TRADE) {
            w->trade = *(const trade_t *)msg.body;
        }
    }
    atomic_store(&w->cursors[RING_ID_MD_CAPTURE].taken, w->md.next - 1);
}

static void pass(world_t *w, int64_t ms)
{
    w->mono_ns += ms * NS_PER_MS;
    live_turn(&w->live, w->mono_ns);
    engine_reads(w);
}

static void begin(world_t *w)
{
    live_look(&w->live, w->mono_ns);
    pass(w, 1);
    assert_int_equal(w->md.next, 1); /* no ids yet */
    engine_defines(w);
    assert_int_equal(w->defs, 1);
    live_look(&w->live, w->mono_ns);
    assert_true(w->live.begun);
}

/* ---- recordings --------------------------------------------------------------------------------------------------- */

typedef struct tape {
    char     text[1 << 20];
    size_t   len;
    uint64_t id; /* of the book */
    int64_t  ms;
} tape_t;

static void tape_line(tape_t *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tape_line(tape_t *t, const char *fmt, ...)
{
    va_list args;
    t->len += (size_t)snprintf(t->text + t->len, sizeof t->text - t->len, "%lld ", (long long)(R0 + t->ms * NS_PER_MS));
    va_start(args, fmt);
    t->len += (size_t)vsnprintf(t->text + t->len, sizeof t->text - t->len, fmt, args);
    va_end(args);
    t->len += (size_t)snprintf(t->text + t->len, sizeof t->text - t->len, "\n");
    assert_true(t->len < sizeof t->text);
}

static void tape_snapshot(tape_t *t)
{
    tape_line(t, "{\"lastUpdateId\":%llu,\"bids\":[[\"100.00\",\"1.000\"]],\"asks\":[[\"100.10\",\"2.000\"]]}",
              (unsigned long long)t->id);
}

static void tape_diff(tape_t *t)
{
    t->id++;
    tape_line(
        t,
        "{\"stream\":\"testusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":%lld,\"s\":\"TESTUSDT\",\"U\":%llu,"
        "\"u\":%llu,\"b\":[[\"99.%02llu\",\"3.000\"]],\"a\":[]}}",
        (long long)(R0 / NS_PER_MS + t->ms - EVENT_BEFORE_MS), (unsigned long long)t->id, (unsigned long long)t->id,
        (unsigned long long)(t->id % 90));
}

static void tape_trade(tape_t *t, uint64_t id)
{
    tape_line(t,
              "{\"stream\":\"testusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":%lld,\"s\":\"TESTUSDT\",\"t\":%llu,\"p\":"
              "\"100.10\","
              "\"q\":\"0.500\",\"T\":%lld,\"m\":false,\"M\":true}}",
              (long long)(R0 / NS_PER_MS + t->ms), (unsigned long long)id,
              (long long)(R0 / NS_PER_MS + t->ms - EVENT_BEFORE_MS));
}

static tape_t tape;

static void tape_begin(void)
{
    tape = (tape_t){.id = 100};
    tape_diff(&tape); /* so that the file shows whose it is */
    tape_snapshot(&tape);
}

static void test_live_publishes_when_the_time_has_come(void **state)
{
    (void)state;
    static const struct {
        const char *speed;
        int64_t     wait_ms; /* between lines that are 200 ms apart */
    } rows[] = {{"1", 200}, {"10", 20}, {"0.5", 400}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tape_begin();
        for (uint32_t n = 1; n <= 10; n++) {
            tape.ms = n * 200;
            tape_trade(&tape, n);
        }
        world_t *w = world_new(tape.text, rows[i].speed);
        begin(w);
        pass(w, 0);
        assert_int_equal(w->count[MSG_BOOK_UPDATE], 1);
        for (uint32_t n = 1; n <= 10; n++) {
            assert_true(live_sleep_ns(&w->live, w->mono_ns) <= rows[i].wait_ms * NS_PER_MS);
            pass(w, rows[i].wait_ms - 1);
            assert_int_equal(w->count[MSG_TRADE], n - 1);
            assert_int_equal(live_sleep_ns(&w->live, w->mono_ns), NS_PER_MS);
            const int64_t before = role_utc_ns();
            pass(w, 1);
            assert_int_equal(w->count[MSG_TRADE], n);
            assert_in_range(w->trade.ts_recv_ns, before, role_utc_ns());
            assert_int_equal(w->trade.ts_recv_ns - w->trade.ts_event_ns, EVENT_BEFORE_MS * NS_PER_MS);
        }
        pass(w, 1000);
        assert_true(w->live.ended);
        assert_true(live_sleep_ns(&w->live, w->mono_ns) > 0);
        assert_int_equal(w->count[MSG_FEED_STATE], 0); /* silence, no more */
        world_free(w);
    }
}

static void test_live_at_full_speed_waits_for_the_engine(void **state)
{
    (void)state;
    tape_begin();
    for (uint32_t n = 1; n <= 1000; n++) {
        tape.ms = n;
        tape_trade(&tape, n);
    }
    world_t *w = world_new(tape.text, "0");
    begin(w);
    for (uint32_t i = 0; i < 100;
         i++) { /* an engine that takes nothing: at most a half of 64 slots, and one line more */
        live_turn(&w->live, w->mono_ns);
    }
    assert_in_range(w->live.md.next - 1, 30, 34);
    /* a venue that lives is waited for, too, and a dead one is not; its cursor may still be of a ring before ours */
    control_page_t page   = {.heartbeat_mono_ns = w->mono_ns};
    ring_cursor_t  cursor = {.taken = 1000000};
    w->live.venue_control = &page;
    w->live.venue_taken   = &cursor;
    for (uint32_t i = 0; i < 10; i++) {
        engine_reads(w);
        live_turn(&w->live, w->mono_ns);
    }
    assert_in_range(w->live.md.next - 1, 30, 34);
    cursor.taken = 20;
    live_turn(&w->live, w->mono_ns);
    assert_in_range(w->live.md.next - 1, 50, 54);
    for (uint32_t i = 0; i < 100; i++) {
        engine_reads(w);
        live_turn(&w->live, w->mono_ns + 3 * NS_PER_S);
    }
    engine_reads(w);
    assert_int_equal(w->count[MSG_TRADE], 1000);
    assert_int_equal(w->trade.trade_id, 1000);
    assert_true(w->live.ended);
    world_free(w);
}

static void test_live_bad_lines_break_the_book_until_a_snapshot(void **state)
{
    (void)state;
    tape_begin();
    tape.ms = 100;
    tape_diff(&tape);
    tape.ms = 200;
    tape_line(&tape, "{\"stream\":\"testusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"garbage\"");
    tape.ms = 300;
    tape_diff(&tape);
    tape.ms = 400;
    tape_snapshot(&tape);
    tape.ms = 500;
    tape_diff(&tape);
    world_t *w = world_new(tape.text, "1");
    begin(w);
    pass(w, 110);
    assert_int_equal(w->count[MSG_BOOK_UPDATE], 2);
    pass(w, 100);
    assert_int_equal(w->count[MSG_FEED_STATE], 1);
    assert_int_equal(w->feed.health, FEED_BROKEN);
    assert_int_equal(w->live.bad, 1);
    pass(w, 100);
    assert_int_equal(w->count[MSG_BOOK_UPDATE], 2);
    pass(w, 100);
    assert_int_equal(w->count[MSG_BOOK_UPDATE], 3);
    assert_true((w->book.flags & BOOK_FLAG_SNAPSHOT) != 0);
    pass(w, 100);
    assert_int_equal(w->count[MSG_BOOK_UPDATE], 4);
    world_free(w);
}

static void test_live_cut_recording_breaks_the_book(void **state)
{
    (void)state;
    tape_begin();
    tape.ms = 100;
    tape_diff(&tape);
    tape.text[--tape.len] = 0; /* no newline at the end: cut */
    world_t *w            = world_new(tape.text, "1");
    begin(w);
    pass(w, 1000);
    assert_true(w->live.ended);
    assert_int_equal(w->feed.health, FEED_BROKEN);
    assert_int_equal(w->feed.reason, FEED_REASON_LOST);
    world_free(w);
}

static void test_live_sees_the_engines_broken_book(void **state)
{
    (void)state;
    tape_begin();
    for (uint32_t n = 1; n <= 8; n++) {
        tape.ms = n * 100;
        if (n == 6) {
            tape_snapshot(&tape);
        } else {
            tape_diff(&tape);
        }
    }
    world_t *w = world_new(tape.text, "1");
    begin(w);
    engine_says(w, FEED_BROKEN, FEED_REASON_START); /* that is how a book begins */
    pass(w, 110);
    live_look(&w->live, w->mono_ns);
    pass(w, 100);
    live_look(&w->live, w->mono_ns);
    assert_int_equal(w->count[MSG_BOOK_UPDATE], 3);
    engine_says(w, FEED_BROKEN, FEED_REASON_LOST);
    live_look(&w->live, w->mono_ns); /* once may be what was on its way */
    pass(w, 100);
    assert_int_equal(w->count[MSG_FEED_STATE], 0);
    assert_int_equal(w->count[MSG_BOOK_UPDATE], 4);
    live_look(&w->live, w->mono_ns);
    pass(w, 100);
    assert_int_equal(w->count[MSG_FEED_STATE], 1);
    assert_int_equal(w->count[MSG_BOOK_UPDATE], 4);
    live_look(&w->live, w->mono_ns);
    pass(w, 200); /* the snapshot, and what follows it */
    assert_int_equal(w->count[MSG_BOOK_UPDATE], 5);
    engine_says(w, FEED_LIVE, FEED_REASON_NONE);
    live_look(&w->live, w->mono_ns);
    live_look(&w->live, w->mono_ns);
    pass(w, 100);
    assert_int_equal(w->count[MSG_BOOK_UPDATE], 6);
    assert_int_equal(w->count[MSG_FEED_STATE], 1);
    world_free(w);
}

static void test_live_refuses_what_it_cannot_do(void **state)
{
    (void)state;
    static const char *const speeds[] = {"-1", "fast", "0.0001"};
    live_t                   live;
    config_t                 config  = {0};
    char                    *files[] = {(char *)(uintptr_t) "/nonexistent"};
    role_ctx_t               ctx     = {.role = ROLE_CAPTURE, .config = &config, .ctl_fd = -1};
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++) {
        config.capture = (config_capture_t){.files = files, .files_count = 1, .speed = speeds[i]};
        assert_int_equal(live_open(&live, &ctx), ERR_CONFIG);
        live_close(&live);
    }
    config.capture = (config_capture_t){.files = files, .files_count = 1, .speed = "1"};
    assert_int_equal(live_open(&live, &ctx), ERR_IO);
    live_close(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live_publishes_when_the_time_has_come),
        cmocka_unit_test(test_live_at_full_speed_waits_for_the_engine),
        cmocka_unit_test(test_live_bad_lines_break_the_book_until_a_snapshot),
        cmocka_unit_test(test_live_cut_recording_breaks_the_book),
        cmocka_unit_test(test_live_sees_the_engines_broken_book),
        cmocka_unit_test(test_live_refuses_what_it_cannot_do),
    };
    return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
