/* The commands that look at an instance from outside, on one that this test makes: real segments, rings and records,
 * written by the real writers; each command runs in this process and its output is read back.
 *
 * Checked   every view's JSON and text, decimals exact, 64-bit ids unsigned; open orders against all; exit codes 3 (the
 *           sentence names who is there) and 4 (prints all the same); tail: newest N, filters, losses to the message;
 *           a place whose writer died is passed over and told; kill: set, confirmed by the engine, cleared, no engine,
 *           no confirmation; segments gc: nothing that lives, nothing current, kill words stay; postmortem of a dead
 *           engine's evidence; damaged segments, bit by bit and at random: refused or harmless, never a crash. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/types/ids.h"
#include "ipc/attach.h"
#include "ipc/histogram.h"
#include "ipc/log.h"
#include "ipc/role.h"
#include "tools/command.h"
#include "tools/config.h"
#include "tools/describe.h"

#define INSTANCE "seen"
#define ID(seq) cl_ord_id_make(4095, 1, seq) /* the top bit is set: no signed number */

/* ---- the instance ---------------------------------------------------------------------------------------------------- */
typedef struct fake {
    config_t        *config;
    int              dir_fd;
    segment_t        seg[ROLE_COUNT];
    segment_t        words_segment;
    words_t         *words;
    ring_writer_t    ev;
    records_writer_t records[RECORD_ID_COUNT];
    control_page_t  *control;
    log_t            log;
} fake_t;

static fake_t f;
static char   shm[64], out_path[96], err_path[96];

static void *object_of(role_t role, const char *name, segment_kind_t kind, size_t *bytes)
{
    void *mem = segment_find(&f.seg[role], name, kind, bytes);
    assert_non_null(mem);
    return mem;
}

static void make(role_t role, uint32_t gen)
{
    if (f.seg[role].head) {
        segment_close(&f.seg[role]);
    }
    assert_int_equal(topology_segment(role, f.config, 4096, f.dir_fd, 4095, gen, &f.seg[role]), ERR_OK);
    f.seg[role].head->pid = getpid();
    size_t          bytes;
    control_page_t *control = object_of(role, "control", SEGMENT_CONTROL, &bytes);
    control_state(control, ROLE_RUN);
    control_beat(control, role_mono_ns());
    atomic_store(&control->started_mono_ns, role_mono_ns() - 5 * NS_PER_S);
    atomic_store(&control->epoch, 4095);
    assert_int_equal(segment_publish(&f.seg[role], f.dir_fd), ERR_OK);
}

static int64_t start_ticks(void)
{
    char  text[1024];
    FILE *file                                  = fopen("/proc/self/stat", "re");
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    long long   ticks = 0;
    const char *c     = strrchr(text, ')') + 2;
    assert_int_equal(
        sscanf(c, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %lld", &ticks), 1);
    return ticks;
}

static void row_of(role_t role, uint32_t gen, int32_t pid)
{
    size_t        bytes;
    role_table_t *table = object_of(ROLE_SUPERVISOR, "roles", SEGMENT_ROLES, &bytes);
    role_row_t    row   = {.status          = pid ? ROLE_STATUS_RUNNING : ROLE_STATUS_FAILED,
                           .pid             = pid,
                           .gen             = gen,
                           .epoch           = 4095,
                           .pid_start_ticks = pid ? start_ticks() : 0};
    snprintf(row.segment, sizeof row.segment, "%s.%u", topology_role_name(role), gen);
    role_table_write(table, role, &row);
}

static void put(record_id_t id, uint32_t place, msg_type_t type, const void *body, const level_t *levels, uint32_t n,
                const char *text)
{
    records_writer_t *w   = &f.records[id];
    const msg_t       msg = {.type = type, .body = body, .tail = levels, .tail_count = n, .text = text};
    size_t            len = 0;
    assert_int_equal(message_write(&msg, records_begin(w, place), w->stride - RING_SLOT_HEAD, &len), ERR_OK);
    records_end(w, place, &(ring_meta_t){.len = (uint32_t)len, .type = (uint16_t)type});
}

static void say(msg_type_t type, const void *body, uint32_t topic)
{
    const msg_t msg = {.type = type, .body = body};
    size_t      len = 0;
    assert_int_equal(message_write(&msg, ring_reserve(&f.ev), ring_room(&f.ev), &len), ERR_OK);
    ring_commit(&f.ev, &(ring_meta_t){.len = (uint32_t)len, .type = (uint16_t)type, .topic = topic, .tenant = 1});
}

static void fill_order(uint32_t row, uint64_t seq, uint8_t status, uint32_t instrument)
{
    const order_record_t order = {.cl_ord_id     = ID(seq),
                                  .px            = 6160201,
                                  .order_qty     = 250,
                                  .cum_qty       = status == ORD_STATUS_FILLED ? 250 : 50,
                                  .leaves_qty    = status == ORD_STATUS_FILLED ? 0 : 200,
                                  .avg_px        = 6160200,
                                  .event_seq     = seq,
                                  .account_id    = 1,
                                  .instrument_id = instrument,
                                  .tenant_id     = 1,
                                  .strategy_id   = 2,
                                  .side          = SIDE_SELL,
                                  .ord_status    = status,
                                  .ord_type      = ORD_TYPE_LIMIT,
                                  .tif           = TIF_GTC,
                                  .exec_inst     = EXEC_INST_POST_ONLY};
    put(RECORD_ID_ORDERS, row, MSG_ORDER, &order, NULL, 0, NULL);
}

static void fill_engine(void)
{
    static const char *const symbols[] = {"BTCUSDT", "ETHUSDT"};
    static const level_t     levels[]  = {{6160201, 100}, {6160199, 7}, {6160203, 5}, {6160205, 9}};
    const tick_band_t        band      = {0, 1};
    size_t                   bytes;
    for (uint32_t i = 0; i < RECORD_ID_COUNT; i++) {
        void *mem = object_of(ROLE_ENGINE, topology_record_name((record_id_t)i), SEGMENT_RECORDS, &bytes);
        assert_int_equal(records_writer_join(&f.records[i], mem, bytes), ERR_OK);
    }
    void *ev = object_of(ROLE_ENGINE, "ev", SEGMENT_BROADCAST, &bytes);
    assert_int_equal(ring_writer_join(&f.ev, ev, bytes), ERR_OK);
    f.control = object_of(ROLE_ENGINE, "control", SEGMENT_CONTROL, &bytes);
    f.log     = (log_t){0};
    void *log = object_of(ROLE_ENGINE, "log", SEGMENT_BROADCAST, &bytes);
    assert_int_equal(ring_writer_join(&f.log.ring, log, bytes), ERR_OK);
    log_write(&f.log, LOG_WARN, "the last words \x1b[31m of %s", "an engine");
    histogram_t *h = object_of(ROLE_ENGINE, "event", SEGMENT_HISTOGRAM, &bytes);
    for (uint64_t i = 1; i <= 1000; i++) {
        histogram_record(h, i, i);
    }
    for (uint32_t i = 0; i < 2; i++) {
        const instrument_def_t def = {.instrument_id = i + 1,
                                      .venue_id      = 1,
                                      .kind          = INSTRUMENT_SPOT,
                                      .px_exp        = 2,
                                      .qty_exp       = 3,
                                      .money_exp     = 8,
                                      .settle_ccy    = ccy_pack("USDT"),
                                      .lot           = 1,
                                      .min_qty       = 1,
                                      .mult          = 1};
        put(RECORD_ID_INSTRUMENTS, i, MSG_INSTRUMENT_DEF, &def, (const level_t *)&band, 1, symbols[i]);
    }
    const book_update_t book = {.instrument_id = 1,
                                .flags         = BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST,
                                .rpt_seq       = 99,
                                .ts_recv_ns    = role_utc_ns(),
                                .bid_count     = 2,
                                .ask_count     = 2};
    put(RECORD_ID_BOOKS, 0, MSG_BOOK_UPDATE, &book, levels, 4, NULL);
    const feed_state_t live = {.instrument_id = 1, .health = FEED_LIVE}, lost = {.instrument_id = 2,
                                                                                 .health        = FEED_BROKEN,
                                                                                 .reason        = FEED_REASON_GAP,
                                                                                 .seq_from      = 5,
                                                                                 .seq_to        = 9};
    put(RECORD_ID_FEEDS, 0, MSG_FEED_STATE, &live, NULL, 0, NULL);
    put(RECORD_ID_FEEDS, 1, MSG_FEED_STATE, &lost, NULL, 0, NULL);
    fill_order(0, 1, ORD_STATUS_PARTIALLY_FILLED, 1);
    fill_order(1, 2, ORD_STATUS_FILLED, 1);
    fill_order(2, 3, ORD_STATUS_UNKNOWN, 2);
    const statistics_t day  = {.instrument_id  = 1,
                               .day_utc_ns     = INT64_C(1767225600000000000), /* 2026-01-01 */
                               .open_px        = 6160000,
                               .high_px        = 6170000,
                               .low_px         = 6150001,
                               .last_px        = 6160200,
                               .last_qty       = 3,
                               .prev_close_px  = 6155555,
                               .prev_close_qty = 1,
                               .volume         = INT64_C(2000001),
                               .turnover_hi    = 1,
                               .turnover_lo    = 7,
                               .vwap_px        = 6160123,
                               .trades         = 12},
                       over = {.instrument_id = 2,
                               .flags         = STATISTICS_OVERFLOW,
                               .day_utc_ns    = INT64_C(1767225600000000000),
                               .open_px       = 5,
                               .high_px       = 5,
                               .low_px        = 5,
                               .volume        = 9,
                               .turnover_lo   = 45,
                               .vwap_px       = 5,
                               .trades        = 2};
    put(RECORD_ID_STATISTICS, 0, MSG_STATISTICS, &day, NULL, 0, NULL);
    put(RECORD_ID_STATISTICS, 1, MSG_STATISTICS, &over, NULL, 0, NULL);
    const position_t position = {.account_id    = 1,
                                 .instrument_id = 1,
                                 .qty           = -250,
                                 .cost          = -154005000000,
                                 .realised      = 150000000,
                                 .unrealised    = -7,
                                 .fees          = 100,
                                 .funding       = -1,
                                 .mark_px       = 6160202,
                                 .event_seq     = 4};
    put(RECORD_ID_POSITIONS, 0, MSG_POSITION, &position, NULL, 0, NULL);
    const account_record_t account = {.ccy         = ccy_pack("USDT"),
                                      .initial     = 10000000000000,
                                      .cash        = 10000100000000,
                                      .realised    = 150000000,
                                      .unrealised  = -7,
                                      .fees        = 100,
                                      .funding     = -1,
                                      .equity      = 10000149999892,
                                      .account_id  = 1,
                                      .tenant_id   = 1,
                                      .money_exp   = 8,
                                      .state_code  = 152,
                                      .open_orders = 2,
                                      .event_seq   = 4};
    put(RECORD_ID_ACCOUNTS, 0, MSG_ACCOUNT, &account, NULL, 0, NULL);
}

static void events(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i % 2) {
            const verdict_t v = {.cl_ord_id     = ID(i),
                                 .observed      = 6160201,
                                 .limit         = 6160100,
                                 .instrument_id = 2,
                                 .account_id    = 1,
                                 .code          = 181,
                                 .action        = ORDER_ACTION_NEW,
                                 .scope_type    = SCOPE_INSTRUMENT};
            say(MSG_VERDICT, &v, 2);
        } else {
            const exec_report_t e = {.cl_ord_id     = ID(i),
                                     .account_id    = 1,
                                     .instrument_id = 1,
                                     .exec_type     = EXEC_TYPE_TRADE,
                                     .ord_status    = ORD_STATUS_PARTIALLY_FILLED,
                                     .side          = SIDE_BUY,
                                     .last_px       = 6160201,
                                     .last_qty      = 50,
                                     .cum_qty       = -1,
                                     .leaves_qty    = -1,
                                     .fee           = -12,
                                     .ts_recv_ns    = role_utc_ns()};
            say(MSG_EXEC_REPORT, &e, 1);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    snprintf(shm, sizeof shm, "/dev/shm/hwal-test-%d", getpid());
    mkdir(shm, 0700);
    setenv("HWAL_SHM", shm, 1);
    unsetenv("HWAL_INSTANCE");
    snprintf(out_path, sizeof out_path, "%s/out", shm);
    snprintf(err_path, sizeof err_path, "%s/err", shm);
    f = (fake_t){0};
    assert_int_equal(config_load(NULL, &f.config), ERR_OK);
    f.config->engine.orders_max = 64;
    f.config->rings.ev          = 64;
    f.config->rings.jrn         = 64;
    f.config->rings.md          = 64;
    f.config->instance          = INSTANCE;
    assert_int_equal(segment_dir_open(getuid(), INSTANCE, true, &f.dir_fd), ERR_OK);
    const segment_cfg_t words = {.role     = "words",
                                 .instance = INSTANCE,
                                 .bytes    = SEGMENT_HEAD_BYTES + segment_bytes_for(sizeof(words_t)),
                                 .build_id = "test"};
    assert_int_equal(segment_create(f.dir_fd, &words, &f.words_segment), ERR_OK);
    f.words = segment_add(&f.words_segment, "words", SEGMENT_WORDS, sizeof(words_t));
    assert_int_equal(segment_publish(&f.words_segment, f.dir_fd), ERR_OK);
    size_t bytes;
    make(ROLE_SUPERVISOR, 1);
    role_table_t *table = object_of(ROLE_SUPERVISOR, "roles", SEGMENT_ROLES, &bytes);
    *table = (role_table_t){.session = 0xabc, .started_utc_ns = role_utc_ns(), .epoch = 4095, .journal_dir = "/tmp/j"};
    row_of(ROLE_SUPERVISOR, 1, getpid());
    static const role_t roles[] = {ROLE_ENGINE, ROLE_JOURNAL, ROLE_SIM};
    for (uint32_t i = 0; i < 3; i++) {
        make(roles[i], 2 + i);
        row_of(roles[i], 2 + i, getpid());
    }
    fill_engine();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        if (f.seg[r].head) {
            segment_close(&f.seg[r]);
        }
    }
    segment_close(&f.words_segment);
    close(f.dir_fd);
    f.config->instance = "default";
    config_free(f.config);
    snprintf(command, sizeof command, "rm -rf %s", shm);
    return system(command);
}

/* ---- running a command ----------------------------------------------------------------------------------------------- */
static char *read_all(const char *path)
{
    FILE  *file = fopen(path, "re");
    char  *text = NULL;
    size_t cap  = 0;
    if (getdelim(&text, &cap, '\0', file) < 0) {
        text[0] = '\0';
    }
    fclose(file);
    return text;
}

static char *out, *err;

static int run(int (*main_)(int, char **), ...)
{
    char   *argv[16] = {NULL};
    int     argc     = 0;
    va_list args;
    va_start(args, main_);
    argv[argc++] = strdup("x");
    for (const char *a; (a = va_arg(args, const char *)) != NULL;) {
        argv[argc++] = strdup(a);
    }
    va_end(args);
    fflush(NULL);
    const int saved_out = dup(1), saved_err = dup(2), in = dup(0);
    const int to     = open(out_path, O_RDWR | O_CREAT | O_TRUNC, 0600),
              to_err = open(err_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    const int null   = open("/dev/null", O_RDONLY);
    dup2(to, 1);
    dup2(to_err, 2);
    dup2(null, 0);
    const int rc = main_(argc, argv);
    fflush(NULL);
    dup2(saved_out, 1);
    dup2(saved_err, 2);
    dup2(in, 0);
    const int fds[] = {saved_out, saved_err, in, to, to_err, null};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        close(fds[i]);
    }
    for (int i = 0; i < argc; i++) {
        free(argv[i]);
    }
    free(out);
    free(err);
    out = read_all(out_path);
    err = read_all(err_path);
    return rc;
}

/* parsed: ids beyond 63 bits as strings, for jansson has no unsigned integers. */
static json_t *parsed(void)
{
    json_error_t error;
    char        *text = calloc(2, strlen(out) + 1);
    size_t       n    = 0;
    for (const char *c = out; *c;) {
        const size_t digits = c > out && c[-1] == ':' ? strspn(c, "0123456789") : 0;
        if (digits < 19) {
            text[n++] = *c++;
            continue;
        }
        n += (size_t)sprintf(text + n, "\"%.*s\"", (int)digits, c);
        c += digits;
    }
    json_t *o = json_loads(text, 0, &error);
    free(text);
    if (!o) {
        print_error("%s\n%s\n", error.text, out);
    }
    assert_non_null(o);
    return o;
}

static const char *text_at(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "(none)";
}

static void beat(void)
{
    control_beat(f.control, role_mono_ns());
}

/* ---- views ------------------------------------------------------------------------------------------------------------ */
static void test_status_tells_state_and_roles(void **state)
{
    (void)state;
    beat();
    assert_int_equal(run(command_status, "--json", NULL), EXIT_OK); /* the only instance there is */
    json_t *o = parsed();
    assert_string_equal(text_at(o, "state"), "RUN");
    assert_string_equal(text_at(o, "instance"), INSTANCE);
    assert_string_equal(text_at(o, "session"), "0000000000000abc");
    assert_int_equal(json_array_size(json_object_get(o, "roles")), 4);
    size_t  i;
    json_t *row;
    json_array_foreach(json_object_get(o, "roles"), i, row)
    {
        assert_string_equal(text_at(row, "state"), "RUN");
        assert_int_equal(json_integer_value(json_object_get(row, "pid")), getpid());
        assert_true(json_integer_value(json_object_get(row, "cpu_ms")) >= 0);
    }
    assert_int_equal(json_array_size(json_object_get(o, "rings")), 5); /* md.sim exec.sim ord.sim jrn ev */
    json_decref(o);

    row_of(ROLE_JOURNAL, 3, 999999999); /* a process that is not there */
    assert_int_equal(run(command_status, "--json", NULL), EXIT_OK);
    o = parsed();
    assert_string_equal(text_at(o, "state"), "DEGRADED");
    json_decref(o);
    assert_int_equal(run(command_status, NULL), EXIT_OK);
    assert_non_null(strstr(out, "DEAD"));

    row_of(ROLE_ENGINE, 2, 999999999); /* the supervisor lives and starts it again */
    run(command_status, "--json", NULL);
    assert_non_null(strstr(out, "\"state\":\"DEGRADED\",\"epoch\""));
    row_of(ROLE_SUPERVISOR, 1, 999999999);
    run(command_status, "--json", NULL);
    assert_non_null(strstr(out, "\"state\":\"DEAD\",\"epoch\""));
}

static void test_a_role_that_is_just_started_is_told(void **state)
{
    (void)state;
    size_t        bytes;
    role_table_t *table = object_of(ROLE_SUPERVISOR, "roles", SEGMENT_ROLES, &bytes);
    beat();
    role_table_write(table, ROLE_ENGINE, &(role_row_t){0}); /* its row comes after its first heartbeat */
    assert_int_equal(run(command_status, "--json", NULL), EXIT_OK);
    json_t *o = parsed();
    assert_string_equal(text_at(o, "state"), "RUN");
    const json_t *engine = json_array_get(json_object_get(o, "roles"), 1);
    assert_string_equal(text_at(engine, "role"), "engine");
    assert_int_equal(json_integer_value(json_object_get(engine, "pid")), getpid());
    json_decref(o);
    make(ROLE_CAPTURE, 6); /* one that no row names, younger than the supervisor: it is there */
    assert_int_equal(run(command_status, "--json", NULL), EXIT_OK);
    assert_non_null(strstr(out, "\"role\":\"capture\""));
    make(ROLE_SUPERVISOR, 9); /* and older than it: of an earlier configuration */
    for (uint32_t r = ROLE_SUPERVISOR; r <= ROLE_SIM; r++) {
        row_of((role_t)r, f.seg[r].head->gen, getpid());
    }
    assert_int_equal(run(command_status, "--json", NULL), EXIT_OK);
    assert_null(strstr(out, "\"role\":\"capture\""));
}

static void test_a_silent_engine_is_evidence(void **state)
{
    (void)state;
    control_beat(f.control, role_mono_ns() - 3 * NS_PER_S);
    int (*const mains[])(int, char **) = {command_status, command_books, command_orders, command_positions,
                                          command_feeds,  command_lat,   command_top,    command_metrics};
    for (size_t i = 0; i < sizeof mains / sizeof mains[0]; i++) {
        assert_int_equal(run(mains[i], "--once", "--json", NULL), EXIT_STALE);
        json_t *o = parsed();
        assert_true(json_is_true(json_object_get(o, "stale")));
        json_decref(o);
        assert_non_null(strstr(err, "heartbeat is 3."));
        assert_int_equal(run(mains[i], NULL), EXIT_STALE);
        assert_true(strlen(out) > 20);
    }
}

static void test_no_instance_names_those_there_are(void **state)
{
    (void)state;
    assert_int_equal(run(command_status, "--instance", "absent", NULL), EXIT_NOT_RUNNING);
    assert_non_null(strstr(err, "\"absent\""));
    assert_non_null(strstr(err, "there are: " INSTANCE));
    assert_string_equal(out, "");
    assert_int_equal(run(command_status, "--instance", "../seen", NULL), EXIT_USAGE);
    assert_int_equal(run(command_books, "--no-such", NULL), EXIT_USAGE);
    assert_int_equal(run(command_orders, "extra", NULL), EXIT_USAGE);
    assert_int_equal(run(command_books, "NOPE", NULL), EXIT_USAGE);
}

static void test_books_are_exact(void **state)
{
    (void)state;
    beat();
    assert_int_equal(run(command_books, "--json", NULL), EXIT_OK);
    json_t       *o = parsed();
    const json_t *b = json_array_get(json_object_get(o, "books"), 0);
    assert_string_equal(text_at(b, "symbol"), "BTCUSDT");
    assert_string_equal(text_at(b, "bid_px"), "61602.01");
    assert_string_equal(text_at(b, "bid_qty"), "0.100");
    assert_string_equal(text_at(b, "ask_px"), "61602.03");
    assert_string_equal(text_at(b, "spread"), "0.02");
    assert_string_equal(text_at(b, "health"), "LIVE");
    assert_int_equal(json_array_size(json_object_get(b, "asks")), 2);
    assert_string_equal(text_at(json_array_get(json_object_get(b, "bids"), 1), "px"), "61601.99");
    assert_string_equal(text_at(b, "day"), "2026-01-01");
    assert_string_equal(text_at(b, "open_px"), "61600.00");
    assert_string_equal(text_at(b, "high_px"), "61700.00");
    assert_string_equal(text_at(b, "low_px"), "61500.01");
    assert_string_equal(text_at(b, "vwap_px"), "61601.23");
    assert_string_equal(text_at(b, "prev_close_px"), "61555.55");
    assert_string_equal(text_at(b, "volume"), "2000.001");
    assert_string_equal(text_at(b, "turnover"), "184467440737095.51623"); /* 2^64 + 7 */
    assert_int_equal(json_integer_value(json_object_get(b, "trades")), 12);
    const json_t *none = json_array_get(json_object_get(o, "books"), 1);
    assert_string_equal(text_at(none, "health"), "BROKEN");
    assert_true(json_is_null(json_object_get(none, "bid_px")));
    assert_string_equal(text_at(none, "open_px"), "0.05");
    assert_true(json_is_null(json_object_get(none, "volume"))); /* its sums ended */
    assert_true(json_is_null(json_object_get(none, "turnover")));
    assert_true(json_is_null(json_object_get(none, "vwap_px")));
    assert_true(json_is_null(json_object_get(none, "prev_close_px")));
    assert_int_equal(json_integer_value(json_object_get(none, "trades")), 2);
    json_decref(o);
    assert_int_equal(run(command_books, "--csv", NULL), EXIT_OK);
    assert_non_null(strstr(out, "symbol,health,reason,bid_qty,bid_px"));
    assert_non_null(strstr(out, "BTCUSDT,LIVE,NONE,0.100,61602.01,61602.03,0.005,0.02"));
    assert_non_null(
        strstr(out, ",2026-01-01,61600.00,61700.00,61500.01,61601.23,2000.001,184467440737095.51623,12,61555.55"));
    assert_int_equal(run(command_books, "ethusdt", "--json", NULL), EXIT_OK);
    o = parsed();
    assert_int_equal(json_array_size(json_object_get(o, "books")), 1);
    json_decref(o);
    assert_int_equal(run(command_feeds, "--json", NULL), EXIT_OK);
    assert_non_null(strstr(out, "\"missing_from\":5,\"missing_to\":9"));
}

static void test_orders_are_open_ones_and_ids_are_unsigned(void **state)
{
    (void)state;
    char id[40];
    beat();
    assert_int_equal(run(command_orders, "--json", NULL), EXIT_OK);
    json_t *o = parsed();
    snprintf(id, sizeof id, "\"cl_ord_id\":%llu,", (unsigned long long)ID(1));
    assert_non_null(strstr(out, id));
    assert_int_equal(json_array_size(json_object_get(o, "orders")), 2);
    const json_t *newest = json_array_get(json_object_get(o, "orders"), 0);
    assert_string_equal(text_at(newest, "ord_status"), "UNKNOWN");
    assert_string_equal(text_at(newest, "side"), "SELL");
    assert_string_equal(text_at(newest, "px"), "61602.01");
    assert_string_equal(text_at(newest, "leaves_qty"), "0.200");
    assert_string_equal(text_at(newest, "exec_inst"), "POST_ONLY");
    json_decref(o);
    assert_int_equal(run(command_orders, "--all", "--json", NULL), EXIT_OK);
    o = parsed();
    assert_int_equal(json_array_size(json_object_get(o, "orders")), 3);
    json_decref(o);
}

static void test_positions_and_accounts_are_exact(void **state)
{
    (void)state;
    beat();
    assert_int_equal(run(command_positions, "--json", NULL), EXIT_OK);
    json_t       *o = parsed();
    const json_t *p = json_array_get(json_object_get(o, "positions"), 0),
                 *a = json_array_get(json_object_get(o, "accounts"), 0);
    assert_string_equal(text_at(p, "qty"), "-0.250");
    assert_string_equal(text_at(p, "cost"), "-1540.05000000");
    assert_string_equal(text_at(p, "net_pnl"), "1.49999892"); /* 1.5 - 0.00000007 - 0.000001 - 0.00000001 */
    assert_string_equal(text_at(a, "equity"), "100001.49999892");
    assert_string_equal(text_at(a, "ccy"), "USDT");
    assert_string_equal(text_at(a, "state"), "UNRECONCILED");
    assert_int_equal(json_integer_value(json_object_get(a, "state_code")), 152);
    json_decref(o);
    assert_int_equal(run(command_lat, "--json", NULL), EXIT_OK);
    assert_non_null(
        strstr(out, "\"name\":\"event\",\"unit\":\"ns\",\"count\":1000,\"p50\":500,\"p90\":900,\"p99\":990"));
    assert_non_null(strstr(out, "\"max\":1000,\"max_seq\":1000,")); /* value i was recorded with sequence i */
    assert_non_null(strstr(out, "\"number\":1,"));
}

static void test_top_holds_every_screen(void **state)
{
    (void)state;
    beat();
    events(3);
    assert_int_equal(run(command_top, "--once", "--json", NULL), EXIT_OK);
    json_t *o = parsed();
    assert_string_equal(text_at(json_object_get(o, "overview"), "state"), "RUN");
    assert_int_equal(json_array_size(json_object_get(json_object_get(o, "blotter"), "executions")), 2);
    assert_string_equal(text_at(json_object_get(o, "ladder"), "symbol"), "BTCUSDT");
    assert_int_equal(json_array_size(json_object_get(json_object_get(o, "ladder"), "orders")), 1);
    assert_int_equal(json_array_size(json_object_get(json_object_get(o, "positions"), "accounts")), 1);
    json_decref(o);
    assert_int_equal(run(command_top, "--once", NULL), EXIT_OK);
    assert_null(strchr(out, '\033')); /* no terminal, no colours */
    assert_int_equal(run(command_top, "--once", "--screen", "nothing", NULL), EXIT_USAGE);
}

/* ---- tail ------------------------------------------------------------------------------------------------------------- */
static uint32_t lines_of(const char *text)
{
    uint32_t n = 0;
    for (; *text; text++) {
        n += *text == '\n';
    }
    return n;
}

static void test_tail_newest_filters_and_text(void **state)
{
    (void)state;
    beat();
    events(40);
    assert_int_equal(run(command_tail, "-n", "7", "--json", NULL), EXIT_OK);
    assert_int_equal(lines_of(out), 7);
    assert_ptr_equal(
        strstr(out, "{\"seq\":34,\"ring\":\"ev\",\"type\":\"VERDICT\",\"tenant_id\":1,\"symbol\":\"ETHUSDT\""), out);
    assert_non_null(strstr(out, "\"limit\":\"61601.00\""));  /* a verdict's limit by the unit of its code */
    assert_non_null(strstr(out, "\"fee\":\"-0.00000012\"")); /* money by the instrument's currency */
    assert_non_null(strstr(out, "\"cum_qty\":null"));        /* not said */
    assert_non_null(strstr(out, "\"message\":{\"body\":{\"cl_ord_id\":184"));
    assert_int_equal(run(command_tail, "-n", "5", "--type", "EXEC_REPORT", "--instrument", "btcusdt", NULL), EXIT_OK);
    assert_int_equal(lines_of(out), 5);
    assert_null(strstr(out, "VERDICT"));
    assert_non_null(strstr(out, "last_px=61602.01 last_qty=0.050"));
    assert_int_equal(run(command_tail, "-n", "1", "--log", NULL), EXIT_OK);
    assert_non_null(strstr(out, "the last words"));
    assert_null(strchr(out, '\033')); /* a log's text cannot drive a terminal */
    assert_int_equal(run(command_tail, "-n", "0", NULL), EXIT_USAGE);
    assert_int_equal(run(command_tail, "--type", "NONSENSE", NULL), EXIT_USAGE);
    assert_int_equal(run(command_tail, "--ring", "jrn", NULL), EXIT_USAGE);
}

static void test_tail_of_a_dead_ring_does_not_wait(void **state)
{
    (void)state;
    events(3);
    control_beat(f.control, role_mono_ns() - 10 * NS_PER_S);
    const int64_t began = role_mono_ns();
    assert_int_equal(run(command_tail, "-n", "20", NULL), EXIT_STALE);
    assert_int_equal(lines_of(out), 3);
    assert_true(role_mono_ns() - began < NS_PER_S);
}

static void *write_on(void *arg)
{
    (void)arg;
    const struct timespec nap = {0, 300 * NS_PER_MS};
    nanosleep(&nap, NULL);
    beat();
    events(10);
    return NULL;
}

static void test_tail_waits_for_more(void **state)
{
    (void)state;
    pthread_t thread;
    beat();
    events(5);
    pthread_create(&thread, NULL, write_on, NULL);
    assert_int_equal(run(command_tail, "-n", "12", "--json", NULL), EXIT_OK);
    pthread_join(thread, NULL);
    assert_int_equal(lines_of(out), 12);
    assert_non_null(strstr(out, "{\"seq\":1,"));
    assert_non_null(strstr(out, "{\"seq\":12,"));
}

static void test_tail_says_what_was_lost(void **state)
{
    (void)state;
    attach_t         a;
    ring_reader_t    reader;
    attach_message_t m;
    events(10);
    assert_int_equal(attach_open(&a, INSTANCE, getuid()), ERR_OK);
    assert_int_equal(attach_ring(&a, RING_ID_EV, RING_OLDEST, &reader), ERR_OK);
    assert_int_equal(attach_next(&a, &reader, &m), ERR_OK);
    events(100); /* 110 written, 64 slots: 47 is the oldest, 2..46 are gone */
    assert_int_equal(attach_next(&a, &reader, &m), ERR_GAP);
    assert_int_equal(reader.lost_from, 2);
    assert_int_equal(reader.lost_to, 46);
    assert_int_equal(attach_next(&a, &reader, &m), ERR_OK);
    assert_int_equal(m.seq, 47);
    attach_close(&a);
}

/* ---- writers that died, memory that lies ------------------------------------------------------------------------------- */
static void test_a_half_written_record_is_passed_over(void **state)
{
    (void)state;
    beat();
    memset(records_begin(&f.records[RECORD_ID_ORDERS], 0), 0xff, 64); /* and never ended */
    assert_int_equal(run(command_orders, "--all", "--json", NULL), EXIT_OK);
    json_t *o = parsed();
    assert_int_equal(json_array_size(json_object_get(o, "orders")), 2);
    json_decref(o);
    assert_non_null(strstr(err, "1 records or messages could not be read"));
    memset(ring_reserve(&f.ev), 0xff, 64);
    assert_int_equal(ring_commit(&f.ev, &(ring_meta_t){.len = 64, .type = MSG_TRADE}), 1); /* whole, and no message */
    events(1);
    assert_int_equal(run(command_tail, "-n", "1", "--json", NULL), EXIT_OK);
    assert_ptr_equal(strstr(out, "{\"seq\":2,"), out);
}

/* every command, on memory in which anything may have been written: an exit code, never a signal. */
static void look_at_all(void)
{
    int (*const mains[])(int, char **) = {command_status,     command_books, command_orders,
                                          command_positions,  command_lat,   command_top,
                                          command_postmortem, command_tail,  command_metrics};
    for (size_t i = 0; i < sizeof mains / sizeof mains[0]; i++) {
        const int rc = run(mains[i], "--json", "--instance", INSTANCE, NULL);
        assert_true(rc == EXIT_OK || rc == EXIT_NOT_RUNNING || rc == EXIT_STALE);
    }
}

static void test_damaged_segments_do_no_harm(void **state)
{
    (void)state;
    const char *given = getenv("HWAL_SEED");
    unsigned    seed  = given ? (unsigned)atoi(given) : (unsigned)time(NULL);
    print_message("HWAL_SEED=%u\n", seed);
    srand(seed);
    events(30);
    for (int round = 0; round < (getenv("HWAL_SOAK") ? 500 : 40); round++) {
        segment_t     *seg   = &f.seg[round % 3 ? ROLE_ENGINE : ROLE_SUPERVISOR];
        uint8_t       *bytes = (uint8_t *)seg->head;
        const uint32_t spots = 1 + (uint32_t)rand() % 2000;
        for (uint32_t i = 0; i < spots; i++) {
            /* half of them in heads of objects, where it hurts most */
            const segment_object_t *object = &seg->head->objects[rand() % 20];
            const size_t            base   = rand() % 2 && object->offset + 4096 < seg->bytes ? object->offset : 4096;
            const size_t at = base == 4096 ? 4096 + (size_t)rand() % (seg->bytes - 4096) : base + (size_t)rand() % 4096;
            bytes[at]       = (uint8_t)rand();
        }
        control_beat(f.control, role_mono_ns() - 10 * NS_PER_S); /* so that tail waits for nobody */
        look_at_all();
    }
}

/* ---- kill -------------------------------------------------------------------------------------------------------------- */
static volatile bool playing;

/* the engine's side: sees the word, cancels what is open. */
static void *play_engine(void *arg)
{
    const struct timespec nap = {0, 2 * NS_PER_MS};
    (void)arg;
    while (playing) {
        beat();
        const uint64_t version = atomic_load(&f.words->kill_version);
        if (version != atomic_load(&f.control->kill_seen)) {
            nanosleep(&nap, NULL);
            for (uint32_t i = 0; i < 3; i++) {
                fill_order(i, i + 1, ORD_STATUS_CANCELED, 1);
            }
            atomic_store(&f.control->kill_mono_ns, role_mono_ns());
            atomic_store(&f.control->kill_seen, version);
        }
        nanosleep(&nap, NULL);
    }
    return NULL;
}

static void test_kill_is_confirmed_by_the_engine(void **state)
{
    (void)state;
    pthread_t thread;
    playing = true;
    beat();
    pthread_create(&thread, NULL, play_engine, NULL);
    assert_int_equal(run(command_kill, "K3", "BTCUSDT", "--yes", "--json", NULL), EXIT_OK);
    json_t *o = parsed();
    assert_string_equal(text_at(o, "scope"), "instrument");
    assert_int_equal(json_integer_value(json_object_get(o, "id")), 1);
    assert_true(json_is_true(json_object_get(o, "confirmed")));
    assert_int_equal(json_integer_value(json_object_get(o, "open_orders")), 0);
    assert_in_range(json_integer_value(json_object_get(o, "effective_us")), 1, 1999999);
    json_decref(o);
    assert_int_equal(atomic_load(&f.words->kill_set[SCOPE_INSTRUMENT][0]), 1u << 1);
    assert_int_equal(run(command_status, "--json", NULL), EXIT_OK);
    assert_non_null(strstr(out, "\"kill\":[{\"scope\":\"instrument\",\"id\":1}]"));
    assert_int_equal(run(command_kill, "instrument", "BTCUSDT", "--clear", "--yes", NULL), EXIT_OK);
    assert_int_equal(atomic_load(&f.words->kill_set[SCOPE_INSTRUMENT][0]), 0);
    playing = false;
    pthread_join(thread, NULL);
}

static void test_kill_without_an_engine_stays(void **state)
{
    (void)state;
    control_beat(f.control, role_mono_ns() - 10 * NS_PER_S);
    assert_int_equal(run(command_kill, "global", NULL), EXIT_USAGE); /* nobody confirms */
    assert_int_equal(atomic_load(&f.words->kill_set[SCOPE_GLOBAL][0]), 0);
    assert_int_equal(run(command_kill, "K5", "--yes", NULL), EXIT_FINDING);
    assert_non_null(strstr(err, "when it starts"));
    assert_int_equal(atomic_load(&f.words->kill_set[SCOPE_GLOBAL][0]), 1);
    assert_int_equal(atomic_load(&f.words->kill_version), 1);
    assert_int_equal(run(command_kill, "K9", "--yes", NULL), EXIT_USAGE);
    assert_int_equal(run(command_kill, "account", "--yes", NULL), EXIT_USAGE);
    assert_int_equal(run(command_kill, "account", "1024", "--yes", NULL), EXIT_USAGE);
    assert_int_equal(run(command_kill, "account", "0", "--yes", NULL), EXIT_USAGE);
    assert_int_equal(atomic_load(&f.words->kill_version), 1);
}

static void test_an_open_order_leaves_kill_unconfirmed(void **state)
{
    (void)state;
    beat();
    atomic_store(&f.control->kill_seen, 1); /* seen, and the orders stay */
    assert_int_equal(run(command_kill, "account", "1", "--yes", "--wait", "0", NULL), EXIT_FINDING);
    assert_non_null(strstr(err, "2 orders in scope are still open"));
    atomic_store(&f.control->kill_seen, 2);
    assert_int_equal(run(command_kill, "account", "7", "--yes", "--wait", "0", NULL), EXIT_OK); /* none of its own */
}

/* ---- segments, postmortem ----------------------------------------------------------------------------------------------- */
static bool there(const char *name)
{
    return faccessat(f.dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_gc_of_a_living_instance_keeps_what_is_used(void **state)
{
    (void)state;
    make(ROLE_ENGINE, 7); /* engine.2 is what it reads to the end */
    row_of(ROLE_ENGINE, 7, getpid());
    make(ROLE_SIM, 8);
    make(ROLE_SIM, 9);
    row_of(ROLE_SIM, 9, getpid());
    assert_int_equal(run(command_segments, "gc", "--dry-run", NULL), EXIT_OK);
    assert_non_null(strstr(out, "would remove " INSTANCE "/sim.4"));
    assert_true(there("sim.4"));
    assert_int_equal(run(command_segments, "gc", "--json", NULL), EXIT_OK);
    assert_false(there("sim.4")); /* older than the one before the current one */
    assert_true(there("sim.8") && there("sim.9") && there("engine.2") && there("engine.7") && there("journal.3") &&
                there("words"));
    assert_int_equal(run(command_segments, "ls", "--json", NULL), EXIT_OK);
    assert_non_null(strstr(out, "\"file\":\"engine.7\",\"role\":\"engine\",\"gen\":7"));
    assert_int_equal(run(command_segments, "ls", NULL), EXIT_OK);
    assert_non_null(strstr(out, "evidence"));
}

static void everybody_dies(void)
{
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        if (f.seg[r].head) {
            row_of((role_t)r, f.seg[r].head->gen, 0);
        }
    }
    f.seg[ROLE_SUPERVISOR].head->pid = 999999999;
}

static void test_gc_of_a_dead_instance_takes_it_whole(void **state)
{
    (void)state;
    everybody_dies();
    const int fd = openat(f.dir_fd, "journal.lock", O_RDWR | O_CREAT, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0); /* one role still lives */
    assert_int_equal(run(command_segments, "gc", NULL), EXIT_OK);
    assert_true(there("engine.2"));
    close(fd);
    atomic_store(&f.words->kill_set[SCOPE_GLOBAL][0], 1);
    assert_int_equal(run(command_segments, "gc", NULL), EXIT_OK);
    assert_false(there("engine.2") || there("supervisor.1") || there("journal.lock"));
    assert_true(there("words")); /* what a person stopped stays stopped */
    assert_int_equal(run(command_status, NULL), EXIT_NOT_RUNNING);
    assert_int_equal(run(command_kill, "global", "--clear", "--yes", NULL), EXIT_FINDING); /* nobody there to confirm */
    assert_int_equal(atomic_load(&f.words->kill_set[SCOPE_GLOBAL][0]), 0);
    assert_int_equal(run(command_segments, "gc", "--all", NULL), EXIT_OK);
    assert_false(there("words"));
    assert_int_equal(run(command_segments, "gc", "--instance", INSTANCE, NULL), EXIT_NOT_RUNNING);
}

static void test_gc_keeps_the_venue_of_an_orderly_stop(void **state)
{
    (void)state;
    const char *const gone[] = {"supervisor.1", "engine.2", "journal.3", "sim.4", "words"};
    make(ROLE_VENUE, 5);
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        assert_int_equal(unlinkat(f.dir_fd, gone[i], 0), 0);
    }
    assert_int_equal(run(command_status, NULL), EXIT_NOT_RUNNING);
    assert_int_equal(run(command_segments, "gc", NULL), EXIT_OK);
    assert_true(there("venue.5"));
    assert_int_equal(run(command_segments, "ls", NULL), EXIT_OK);
    assert_non_null(strstr(out, "kept"));
    assert_int_equal(run(command_segments, "gc", "--instance", INSTANCE, "--all", NULL), EXIT_OK);
    assert_false(there("venue.5"));
}

static void test_postmortem_of_the_dead(void **state)
{
    (void)state;
    events(30);
    make(ROLE_ENGINE, 7);
    row_of(ROLE_ENGINE, 7, getpid());
    everybody_dies();
    assert_int_equal(run(command_postmortem, "--json", NULL), EXIT_OK);
    json_t       *o    = parsed();
    const json_t *dead = json_array_get(json_object_get(o, "evidence"), 0);
    assert_string_equal(text_at(o, "segment"), "engine.7");
    assert_int_equal(json_array_size(json_object_get(o, "orders")), 0); /* the newest one had not begun */
    assert_string_equal(text_at(dead, "segment"), "engine.2");
    assert_string_equal(text_at(dead, "state"), "RUN");
    assert_int_equal(json_array_size(json_object_get(dead, "orders")), 2);
    assert_int_equal(json_array_size(json_object_get(dead, "events")), 20);
    assert_int_equal(json_array_size(json_object_get(dead, "positions")), 1);
    assert_non_null(strstr(text_at(json_array_get(json_object_get(dead, "log"), 0), "text"), "the last words"));
    json_decref(o);
    unlinkat(f.dir_fd, "supervisor.1", 0); /* no table either: by the files alone */
    assert_int_equal(run(command_postmortem, NULL), EXIT_OK);
    assert_non_null(strstr(out, "evidence: engine.2"));
}

static void test_doctor_speaks(void **state)
{
    (void)state;
    const int rc = run(command_doctor, "--json", NULL);
    json_t   *o  = parsed();
    assert_int_equal(rc, json_integer_value(json_object_get(o, "fail")) > 0 ? EXIT_FINDING : EXIT_OK);
    assert_true(json_array_size(json_object_get(o, "checks")) >= 14);
    json_decref(o);
    setenv("HWAL_SHM", "/nonexistent", 1);
    assert_int_equal(run(command_doctor, NULL), EXIT_FINDING);
    assert_non_null(strstr(out, "fail"));
    setenv("HWAL_SHM", shm, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_status_tells_state_and_roles),
        TEST(test_a_role_that_is_just_started_is_told),
        TEST(test_a_silent_engine_is_evidence),
        TEST(test_no_instance_names_those_there_are),
        TEST(test_books_are_exact),
        TEST(test_orders_are_open_ones_and_ids_are_unsigned),
        TEST(test_positions_and_accounts_are_exact),
        TEST(test_top_holds_every_screen),
        TEST(test_tail_newest_filters_and_text),
        TEST(test_tail_of_a_dead_ring_does_not_wait),
        TEST(test_tail_waits_for_more),
        TEST(test_tail_says_what_was_lost),
        TEST(test_a_half_written_record_is_passed_over),
        TEST(test_damaged_segments_do_no_harm),
        TEST(test_kill_is_confirmed_by_the_engine),
        TEST(test_kill_without_an_engine_stays),
        TEST(test_an_open_order_leaves_kill_unconfirmed),
        TEST(test_gc_of_a_living_instance_keeps_what_is_used),
        TEST(test_gc_of_a_dead_instance_takes_it_whole),
        TEST(test_gc_keeps_the_venue_of_an_orderly_stop),
        TEST(test_postmortem_of_the_dead),
        TEST(test_doctor_speaks),
    };
    const int rc = cmocka_run_group_tests(tests, NULL, NULL);
    free(out);
    free(err);
    return rc;
}
