/* Topology: every segment holds every object of its role, of the kind and size that its joiners expect; the table is
 * consistent; the demonstration fits into 256 MiB; role table: a row is whole or it is said that it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/control.h"
#include "ipc/counters.h"
#include "ipc/histogram.h"
#include "ipc/log.h"
#include "ipc/message.h"
#include "ipc/record.h"
#include "ipc/records.h"
#include "ipc/ring_lossless.h"
#include "ipc/role_table.h"
#include "ipc/topology.h"
#include "tools/config.h"

static char      dir[64];
static int       dir_fd;
static config_t *config;

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/dev/shm/hwal_topology_%d", getpid());
    assert_int_equal(mkdir(dir, 0750), 0);
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_true(dir_fd >= 0);
    assert_int_equal(config_load("configs/demo.yaml", &config), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    config_free(config);
    close(dir_fd);
    return rmdir(dir); /* fails when a test left something */
}

static void test_rings_join_what_there_is(void **state)
{
    (void)state;
    for (ring_id_t id = 0; id < RING_ID_COUNT; id++) {
        const ring_row_t *row = topology_ring(id);
        assert_non_null(row);
        assert_int_equal(row->stride % 64, 0);
        assert_true(row->kind == SEGMENT_BROADCAST || row->kind == SEGMENT_LOSSLESS);
        assert_true(row->writer < ROLE_COUNT);
        assert_true(row->kind == SEGMENT_BROADCAST || row->reader < ROLE_COUNT); /* lossless: exactly one reader */
        assert_true(row->writer != row->reader);
        const uint32_t slots = topology_ring_slots(id, config);
        assert_true(slots && (slots & (slots - 1)) == 0);
        for (ring_id_t other = 0; other < id; other++) {
            const ring_row_t *o = topology_ring(other);
            assert_string_not_equal(row->name, o->name);
            assert_true(row->writer != o->writer || strcmp(row->object, o->object) != 0);
        }
    }
    assert_null(topology_ring(RING_ID_COUNT));
    assert_true(topology_ring(RING_ID_JRN)->stride >= RING_SLOT_HEAD + RECORD_BYTES_MAX);
}

static void object_is(const segment_t *seg, const char *name, segment_kind_t kind, size_t bytes)
{
    size_t has = 0;
    if (!segment_find(seg, name, kind, &has) || has < bytes) {
        fail_msg("%s: %s has %zu bytes, wanted %zu", seg->head->role, name, has, bytes);
    }
}

static void rings_joinable(const segment_t *seg, role_t role)
{
    for (ring_id_t id = 0; id < RING_ID_COUNT; id++) {
        const ring_row_t *row = topology_ring(id);
        size_t            bytes;
        if (row->writer != role) {
            continue;
        }
        void *mem = segment_find(seg, row->object, row->kind, &bytes);
        assert_non_null(mem);
        if (row->kind == SEGMENT_BROADCAST) {
            ring_writer_t writer;
            assert_int_equal(ring_writer_join(&writer, mem, bytes), ERR_OK);
            assert_int_equal(writer.stride, row->stride);
            assert_int_equal(writer.mask + 1, topology_ring_slots(id, config));
        } else {
            lossless_writer_t writer;
            assert_int_equal(lossless_writer_join(&writer, mem, bytes), ERR_OK);
            assert_int_equal(writer.stride, row->stride);
            assert_int_equal(writer.mask + 1, topology_ring_slots(id, config));
        }
    }
}

static void test_segments_hold_every_object(void **state)
{
    (void)state;
    for (role_t role = 0; role < ROLE_COUNT; role++) {
        segment_t seg;
        size_t    bytes;
        char      name[64];
        assert_int_equal(topology_segment(role, config, 4096, dir_fd, 3, 1025, &seg), ERR_OK);
        assert_int_equal(seg.head->bytes, topology_bytes(role, config, 4096));
        assert_int_equal(seg.head->epoch, 3);
        assert_string_equal(seg.head->role, topology_role_name(role));
        object_is(&seg, "control", SEGMENT_CONTROL, sizeof(control_page_t));
        object_is(&seg, "counters", SEGMENT_COUNTERS, counters_footprint());
        object_is(&seg, "cursors", SEGMENT_CURSORS, RING_ID_COUNT * sizeof(ring_cursor_t));
        object_is(&seg, "log", SEGMENT_BROADCAST, ring_broadcast_footprint(LOG_SLOTS, LOG_STRIDE));
        rings_joinable(&seg, role);
        const control_page_t *control = segment_find(&seg, "control", SEGMENT_CONTROL, &bytes);
        assert_int_equal(atomic_load(&control->state), ROLE_BOOT);
        if (role == ROLE_ENGINE) {
            object_is(&seg, "clock", SEGMENT_BLOB, sizeof(engine_clock_t));
            object_is(&seg, "event", SEGMENT_HISTOGRAM, sizeof(histogram_t));
            object_is(&seg, "decide", SEGMENT_HISTOGRAM, sizeof(histogram_t));
            for (record_id_t id = 0; id < RECORD_ID_COUNT; id++) {
                records_writer_t writer;
                void            *mem = segment_find(&seg, topology_record_name(id), SEGMENT_RECORDS, &bytes);
                assert_non_null(mem);
                assert_int_equal(records_writer_join(&writer, mem, bytes), ERR_OK);
            }
        }
        if (role == ROLE_JOURNAL) {
            object_is(&seg, "durable", SEGMENT_CURSORS, sizeof(ring_cursor_t));
        }
        if (role == ROLE_SUPERVISOR) {
            object_is(&seg, "roles", SEGMENT_ROLES, sizeof(role_table_t));
        }
        if (role == ROLE_VENUE) {
            object_is(&seg, "state", SEGMENT_BLOB, 4096);
        }
        assert_int_equal(segment_publish(&seg, dir_fd), ERR_OK);
        snprintf(name, sizeof name, "%s.1025", topology_role_name(role));
        segment_t read_only;
        assert_int_equal(segment_open(dir_fd, name, geteuid(), false, &read_only), ERR_OK);
        segment_close(&read_only);
        segment_close(&seg);
        assert_int_equal(unlinkat(dir_fd, name, 0), 0);
    }
}

/* The largest messages of a kind fit into their slots: written, not computed. */
static void test_largest_messages_fit(void **state)
{
    (void)state;
    static uint8_t   buf[4096];
    static level_t   levels[BOOK_UPDATE_MAX_LEVELS];
    tick_band_t      bands[INSTRUMENT_MAX_BANDS] = {{0}};
    instrument_def_t def                         = {0};
    book_update_t    update                      = {.bid_count = 32, .ask_count = BOOK_UPDATE_MAX_LEVELS - 32};
    char             symbol[SYMBOL_MAX + 1];
    size_t           len;
    memset(symbol, 'X', SYMBOL_MAX);
    symbol[SYMBOL_MAX] = '\0';
    const msg_t book = {.type = MSG_BOOK_UPDATE, .body = &update, .tail = levels, .tail_count = BOOK_UPDATE_MAX_LEVELS};
    assert_int_equal(message_write(&book, buf, sizeof buf, &len), ERR_OK);
    assert_true(len + RING_SLOT_HEAD <= topology_ring(RING_ID_MD_SIM)->stride);
    const msg_t ins = {
        .type = MSG_INSTRUMENT_DEF, .body = &def, .tail = bands, .tail_count = INSTRUMENT_MAX_BANDS, .text = symbol};
    assert_int_equal(message_write(&ins, buf, sizeof buf, &len), ERR_OK);
    assert_true(len + RING_SLOT_HEAD <= topology_ring(RING_ID_EXEC_SIM)->stride);
    segment_t seg;
    size_t    bytes;
    assert_int_equal(topology_segment(ROLE_ENGINE, config, 0, dir_fd, 1, 1, &seg), ERR_OK);
    records_writer_t writer;
    assert_int_equal(records_writer_join(&writer, segment_find(&seg, "instruments", SEGMENT_RECORDS, &bytes), bytes),
                     ERR_OK);
    assert_true(len + RING_SLOT_HEAD <= writer.stride);
    segment_close(&seg);
}

static void test_demonstration_fits(void **state)
{
    (void)state;
    size_t sum = 0;
    for (role_t role = 0; role < ROLE_COUNT; role++) {
        const size_t bytes = topology_bytes(role, config, 32 << 20);
        assert_true(bytes > 0);
        sum += topology_runs(role, config) ? bytes : 0;
    }
    print_message("shared memory of the demonstration: %.1f MiB (venue's state taken as 32)\n",
                  (double)sum / (1 << 20));
    assert_true(sum <= 256u << 20);
    assert_false(topology_runs(ROLE_CAPTURE, config));
    config->capture.files_count = 1;
    assert_true(topology_runs(ROLE_CAPTURE, config));
    config->capture.files_count = 0;
}

/* ---- role table ---------------------------------------------------------------------------------------------------- */
static role_table_t table;

static void *writer_main(void *unused)
{
    (void)unused;
    for (int32_t i = 1; i <= 200000; i++) {
        role_row_t row = {.pid = i, .gen = (uint32_t)i, .restarts = (uint32_t)i, .last_exit = i, .pid_start_ticks = i};
        snprintf(row.segment, sizeof row.segment, "engine.%d", i);
        role_table_write(&table, ROLE_ENGINE, &row);
    }
    return NULL;
}

static void test_rows_are_whole(void **state)
{
    (void)state;
    pthread_t  thread;
    role_row_t row = {0};
    assert_int_equal(pthread_create(&thread, NULL, writer_main, NULL), 0);
    uint64_t reads = 0;
    while (row.pid < 200000) {
        if (role_table_read(&table, ROLE_ENGINE, &row) == ERR_OK && row.pid) {
            char want[32];
            snprintf(want, sizeof want, "engine.%d", row.pid);
            assert_string_equal(row.segment, want);
            assert_true((int32_t)row.gen == row.pid && row.last_exit == row.pid && row.pid_start_ticks == row.pid);
            reads++;
        }
    }
    pthread_join(thread, NULL);
    assert_true(reads > 0);
    table.rows[ROLE_ENGINE].lock |= 1; /* its writer died in the middle */
    assert_int_equal(role_table_read(&table, ROLE_ENGINE, &row), ERR_AGAIN);
}

static void test_alive_is_pid_and_start(void **state)
{
    (void)state;
    role_row_t row = {.pid = getpid(), .pid_start_ticks = role_start_ticks(getpid())};
    assert_true(row.pid_start_ticks > 0);
    assert_true(role_alive(&row));
    row.pid_start_ticks++;
    assert_false(role_alive(&row));
    const pid_t child = fork();
    if (child == 0) {
        pause();
    }
    row = (role_row_t){.pid = child, .pid_start_ticks = role_start_ticks(child)};
    assert_true(role_alive(&row));
    kill(child, SIGKILL);
    while (role_alive(&row)) { /* a zombie is dead */
        usleep(1000);
    }
    waitpid(child, NULL, 0);
    assert_false(role_alive(&row));
    assert_false(role_alive(&(role_row_t){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rings_join_what_there_is), cmocka_unit_test(test_segments_hold_every_object),
        cmocka_unit_test(test_largest_messages_fit),     cmocka_unit_test(test_demonstration_fits),
        cmocka_unit_test(test_rows_are_whole),           cmocka_unit_test(test_alive_is_pid_and_start),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
