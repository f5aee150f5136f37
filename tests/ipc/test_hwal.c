/* libhwal by its public header, on an instance that this test makes of real segments, and a lane whose other end is here.
 *
 * Checked   attach: by name, the only one that lives, HWAL_INSTANCE, refusals with a sentence; roles, rings, counters,
 *           histograms. Subscriptions against a list of everything written, with random filters: what passes is what
 *           the list says, in order, received + lost = written; the four starts; damage is passed over and counted; types
 *           of a newer schema. A role that begins anew: told once with what was not read, the others go on untouched;
 *           also when its ring is missing for a while. Records: whole, never written, being written, no such place; two
 *           kinds at once. Numbers exact, finer ones refused. JSON with the room it needs. Lanes: who one is, what is
 *           filled into requests, ids that rise, nothing filled in when nothing was sent; a check among other answers
 *           keeps their order, and its late answer is not taken for the next one's; full, closed, refused. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/types/ids.h"
#include "ipc/attach.h"
#include "ipc/histogram.h"
#include "ipc/lane.h"
#include "ipc/role.h"
#include "tests/lib/seeded.h"

#define HWAL_IN_TREE
#include "ipc/hwal.h"

#define INSTANCE "lib"
#define EPOCH 7u

/* ---- the instance ---------------------------------------------------------------------------------------------------- */
static char             shm[64];
static config_t         config;
static int              dir_fd;
static segment_t        seg[ROLE_COUNT];
static ring_writer_t    ev, md;
static records_writer_t books, orders, instruments;
static control_page_t  *engine_control;
static uint32_t         gen_next;

static void *object_of(role_t role, const char *name, segment_kind_t kind, size_t *bytes)
{
    void *mem = segment_find(&seg[role], name, kind, bytes);
    assert_non_null(mem);
    return mem;
}

static void ring_of(role_t role, const char *name, ring_writer_t *ring)
{
    size_t bytes;
    void  *mem = object_of(role, name, SEGMENT_BROADCAST, &bytes);
    assert_int_equal(ring_writer_join(ring, mem, bytes), ERR_OK);
}

static void records_of(record_id_t id, records_writer_t *writer)
{
    size_t bytes;
    void  *mem = object_of(ROLE_ENGINE, topology_record_name(id), SEGMENT_RECORDS, &bytes);
    assert_int_equal(records_writer_join(writer, mem, bytes), ERR_OK);
}

static control_page_t *make(role_t role)
{
    size_t bytes;
    segment_close(&seg[role]);
    assert_int_equal(topology_segment(role, &config, 4096, dir_fd, EPOCH, ++gen_next, &seg[role]), ERR_OK);
    control_page_t *control = object_of(role, "control", SEGMENT_CONTROL, &bytes);
    control_state(control, ROLE_RUN);
    control_beat(control, role_mono_ns());
    atomic_store(&control->epoch, EPOCH);
    assert_int_equal(segment_publish(&seg[role], dir_fd), ERR_OK);
    if (role == ROLE_SUPERVISOR) {
        return control;
    }
    role_row_t row      = {.status = ROLE_STATUS_RUNNING, .pid = getpid(), .gen = gen_next, .epoch = EPOCH};
    row.pid_start_ticks = role_start_ticks(getpid());
    snprintf(row.segment, sizeof row.segment, "%s.%u", topology_role_name(role), gen_next);
    role_table_write(object_of(ROLE_SUPERVISOR, "roles", SEGMENT_ROLES, &bytes), role, &row);
    return control;
}

static void put(records_writer_t *w, uint32_t place, const msg_t *msg)
{
    size_t len = 0;
    assert_int_equal(message_write(msg, records_begin(w, place), w->stride - RING_SLOT_HEAD, &len), ERR_OK);
    records_end(w, place, &(ring_meta_t){.len = (uint32_t)len, .type = (uint16_t)msg->type});
}

static void put_instrument(uint32_t id, const char *symbol)
{
    const tick_band_t      band = {0, 1};
    const instrument_def_t def  = {.instrument_id = id,
                                   .venue_id      = (uint16_t)id,
                                   .kind          = INSTRUMENT_SPOT,
                                   .px_exp        = 2,
                                   .qty_exp       = 5,
                                   .money_exp     = 8,
                                   .settle_ccy    = 'U',
                                   .lot           = 1,
                                   .mult          = 1};
    put(&instruments, id - 1,
        &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def, .tail = &band, .tail_count = 1, .text = symbol});
}

static void put_book(uint32_t id, int64_t bid)
{
    const level_t       levels[] = {{bid, 100}, {bid + 2, 5}, {bid + 3, 9}};
    const book_update_t book     = {.instrument_id = id,
                                    .flags         = BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST,
                                    .bid_count     = 1,
                                    .ask_count     = 2};
    put(&books, id - 1, &(msg_t){.type = MSG_BOOK_UPDATE, .body = &book, .tail = levels, .tail_count = 3});
}

static void make_engine(void)
{
    engine_control = make(ROLE_ENGINE);
    ring_of(ROLE_ENGINE, "ev", &ev);
    records_of(RECORD_ID_BOOKS, &books);
    records_of(RECORD_ID_ORDERS, &orders);
    records_of(RECORD_ID_INSTRUMENTS, &instruments);
    put_instrument(1, "BTC-USDT");
    put_instrument(2, "ETH-USDT");
}

static void say_as(ring_writer_t *ring, msg_type_t type, const void *body, uint32_t topic, uint32_t tenant)
{
    const msg_t msg = {.type = type, .body = body};
    size_t      len = 0;
    assert_int_equal(message_write(&msg, ring_reserve(ring), ring_room(ring), &len), ERR_OK);
    ring_commit(ring, &(ring_meta_t){.len = (uint32_t)len, .type = (uint16_t)type, .topic = topic, .tenant = tenant});
}

static void say(uint64_t n) /* a message of its own number */
{
    const verdict_t v = {.cl_ord_id = n, .code = 181};
    say_as(&ev, MSG_VERDICT, &v, 1, 1);
}

static int setup(void **state)
{
    (void)state;
    size_t bytes;
    snprintf(shm, sizeof shm, "/dev/shm/hwal-test-lib-%d", getpid());
    mkdir(shm, 0700);
    setenv("HWAL_SHM", shm, 1);
    unsetenv("HWAL_INSTANCE");
    gen_next = 0;
    memset(seg, 0, sizeof seg);
    config                        = (config_t){.instance = INSTANCE};
    config.engine.orders_max      = 16;
    config.engine.held_max        = 16;
    config.engine.instruments_max = 64;
    config.engine.accounts_max    = 16;
    config.rings.md = config.rings.exec = config.rings.ord = config.rings.jrn = config.rings.ev = 64;
    assert_int_equal(segment_dir_open(getuid(), INSTANCE, true, &dir_fd), ERR_OK);
    make(ROLE_SUPERVISOR);
    role_table_t *table = object_of(ROLE_SUPERVISOR, "roles", SEGMENT_ROLES, &bytes);
    *table              = (role_table_t){.epoch = EPOCH};
    make_engine();
    make(ROLE_SIM);
    ring_of(ROLE_SIM, "md", &md);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        segment_close(&seg[r]);
    }
    close(dir_fd);
    snprintf(command, sizeof command, "rm -rf %s", shm);
    return system(command);
}

static hwal_t *attached(void)
{
    hwal_t *h = hwal_attach(INSTANCE, NULL);
    if (!h) {
        print_message("%s\n", hwal_error());
    }
    assert_non_null(h);
    return h;
}

/* ---- instances ------------------------------------------------------------------------------------------------------- */
static void test_attach_names_what_there_is(void **state)
{
    (void)state;
    char names[4][HWAL_NAME_MAX + 1];
    assert_int_equal(hwal_list(NULL, names, 4), 1);
    assert_string_equal(names[0], INSTANCE);
    assert_int_equal(hwal_list(NULL, names, 0), 0);
    assert_null(hwal_attach("nosuch", NULL));
    assert_int_equal(hwal_error_code(), HWAL_NOT_FOUND);
    assert_non_null(strstr(hwal_error(), "there are: " INSTANCE));
    assert_null(hwal_attach("../x", NULL));
    assert_int_equal(hwal_error_code(), HWAL_ARG);
    assert_null(hwal_attach(INSTANCE, "no such user"));
    assert_int_equal(hwal_error_code(), HWAL_NOT_FOUND);
    assert_non_null(strstr(hwal_error(), "no such user"));
    hwal_t *h = hwal_attach(NULL, NULL); /* the only one */
    assert_non_null(h);
    assert_string_equal(hwal_instance(h), INSTANCE);
    assert_int_equal(hwal_stale(h), 0);
    control_beat(engine_control, role_mono_ns() - 3 * NS_PER_S);
    assert_int_equal(hwal_stale(h), 1);
    hwal_detach(h);
    hwal_detach(NULL);
    setenv("HWAL_INSTANCE", "other", 1);
    assert_null(hwal_attach(NULL, NULL));
    assert_non_null(strstr(hwal_error(), "\"other\""));
    unsetenv("HWAL_INSTANCE");
}

static void test_roles_rings_counters_histograms(void **state)
{
    (void)state;
    size_t       bytes;
    counters_t  *counters  = object_of(ROLE_ENGINE, "counters", SEGMENT_COUNTERS, &bytes);
    histogram_t *histogram = object_of(ROLE_ENGINE, "event", SEGMENT_HISTOGRAM, &bytes);
    hwal_t      *h         = attached();
    hwal_role_t  role;
    uint32_t     roles = 0, engines = 0;
    for (; hwal_role(h, roles, &role) == HWAL_OK; roles++) {
        if (strcmp(role.name, "engine") == 0) {
            engines++;
            assert_string_equal(role.state, "RUN");
            assert_int_equal(role.pid, getpid());
            assert_int_equal(role.alive, 1);
            assert_int_equal(role.epoch, EPOCH);
            assert_true(role.age_ns >= 0 && role.age_ns < NS_PER_S);
        }
    }
    assert_int_equal(roles, 3);
    assert_int_equal(engines, 1);
    say(1);
    say(2);
    hwal_ring_t ring;
    uint32_t    seen = 0;
    for (uint32_t i = 0; hwal_ring(h, i, &ring) == HWAL_OK; i++) {
        if (strcmp(ring.name, "ev") == 0) {
            seen++;
            assert_string_equal(ring.writer, "engine");
            assert_int_equal(ring.slots, 64);
            assert_int_equal(ring.newest, 2);
            assert_int_equal(ring.oldest, 1);
            assert_int_equal(ring.broadcast, 1);
        }
        seen += strcmp(ring.name, "jrn") == 0 && !ring.broadcast && ring.newest == 0 && ring.oldest == 1;
        seen += strcmp(ring.name, "log.sim") == 0 && ring.broadcast;
    }
    assert_int_equal(seen, 3);
    counter_add(counters, COUNTER_FILLS, 42);
    hwal_counter_t counter;
    uint32_t       i = 0;
    while (hwal_counter(h, "engine", i, &counter) == HWAL_OK && strcmp(counter.name, "fills") != 0) {
        i++;
    }
    assert_string_equal(counter.name, "fills");
    assert_int_equal(counter.value, 42);
    assert_int_equal(counter.gauge, 0);
    assert_true(strlen(counter.help) > 0 && strlen(counter.unit) > 0);
    assert_int_equal(hwal_counter(h, "engine", COUNTER_COUNT, &counter), HWAL_NOT_FOUND);
    assert_int_equal(hwal_counter(h, "nobody", 0, &counter), HWAL_NOT_FOUND);
    for (uint64_t n = 1; n <= 1000; n++) {
        histogram_record(histogram, n, 5000 + n);
    }
    const uint32_t   at[] = {500000, 990000};
    uint64_t         values[2];
    hwal_histogram_t latency;
    for (i = 0; hwal_histogram(h, i, at, values, 2, &latency) == HWAL_OK && strcmp(latency.name, "event") != 0; i++) {
    }
    assert_string_equal(latency.role, "engine");
    assert_string_equal(latency.unit, "ns");
    assert_int_equal(latency.count, 1000);
    assert_int_equal(latency.max, 1000);
    assert_int_equal(latency.max_seq, 6000);
    assert_int_equal(values[0], 500);
    assert_int_equal(values[1], 990);
    assert_int_equal(hwal_histogram(h, 99, at, values, 2, &latency), HWAL_NOT_FOUND);
    hwal_detach(h);
}

/* ---- rings ------------------------------------------------------------------------------------------------------------ */
typedef struct written {
    msg_type_t type;
    uint32_t   topic, tenant;
} written_t;

static void write_random(uint64_t *rng, written_t *out)
{
    *out = (written_t){.topic = (uint32_t)(seeded_next(rng) % 5), .tenant = (uint32_t)(seeded_next(rng) % 3)};
    const verdict_t     v = {.code = 7};
    const exec_report_t e = {.last_px = 7};
    const position_t    p = {.qty = 7};
    switch (seeded_next(rng) % 3) {
    case 0: say_as(&ev, out->type = MSG_VERDICT, &v, out->topic, out->tenant); break;
    case 1: say_as(&ev, out->type = MSG_EXEC_REPORT, &e, out->topic, out->tenant); break;
    default: say_as(&ev, out->type = MSG_POSITION, &p, out->topic, out->tenant); break;
    }
}

static bool model_passes(const hwal_filter_t *f, const written_t *w)
{
    bool topic = f->topics_count == 0;
    for (uint32_t i = 0; i < f->topics_count; i++) {
        topic |= f->topics[i] == w->topic;
    }
    return topic && (f->types == 0 || (f->types & HWAL_TYPE(w->type))) &&
           (f->tenant == 0 || w->tenant == 0 || w->tenant == f->tenant);
}

/* One subscription among random writes: everything from `next` on is received, filtered out or told as lost. */
static void follow(hwal_sub_t *sub, const hwal_filter_t *f, const written_t *all, uint64_t *next, uint64_t *got)
{
    hwal_message_t m;
    hwal_err_t     err;
    while ((err = hwal_next(sub, &m)) != HWAL_EMPTY) {
        if (err == HWAL_GAP) {
            assert_true(m.lost_from >= *next && m.lost_to >= m.lost_from); /* before it: filtered out */
            for (uint64_t s = *next; s < m.lost_from; s++) {
                assert_false(model_passes(f, &all[s]));
            }
            *next = m.lost_to + 1;
            continue;
        }
        assert_int_equal(err, HWAL_OK);
        for (uint64_t s = *next; s < m.seq; s++) {
            assert_false(model_passes(f, &all[s]));
        }
        const written_t *w = &all[m.seq];
        assert_true(m.seq >= *next && model_passes(f, w));
        assert_true(m.type == (uint32_t)w->type && m.topic == w->topic && m.tenant == w->tenant);
        assert_true(m.body_len == msg_body_size(w->type) && m.raw_len > m.body_len && m.raw != NULL);
        *next = m.seq + 1;
        ++*got;
    }
}

static void test_subscriptions_pass_what_a_list_says(void **state)
{
    (void)state;
    uint64_t         rng    = seeded_seed("subscriptions");
    const uint64_t   rounds = seeded_rounds(200, 20000);
    static written_t all[1 << 14];
    hwal_t          *h     = attached();
    uint64_t         total = 0, got = 0;
    for (uint64_t round = 0; round < rounds && total + 400 < sizeof all / sizeof all[0]; round++) {
        const uint32_t topics[] = {(uint32_t)(seeded_next(&rng) % 5), (uint32_t)(seeded_next(&rng) % 5)};
        hwal_filter_t  f        = {.start  = (uint32_t)(seeded_next(&rng) % 3),
                                   .types  = seeded_next(&rng) % 3 ? 0 : HWAL_TYPE(MSG_VERDICT) | HWAL_TYPE(MSG_POSITION),
                                   .topics = topics,
                                   .topics_count = (uint32_t)(seeded_next(&rng) % 3),
                                   .tenant       = (uint32_t)(seeded_next(&rng) % 3)};
        f.sequence              = total ? 1 + seeded_next(&rng) % total : 1;
        hwal_sub_t *sub         = hwal_subscribe(h, "ev", &f);
        assert_non_null(sub);
        uint64_t next = f.start == HWAL_NEWEST     ? total + 1
                        : f.start == HWAL_SEQUENCE ? f.sequence
                                                   : (total > 63 ? total - 63 : 1);
        for (uint32_t turn = 0; turn < 4; turn++) {
            for (uint64_t n = seeded_next(&rng) % 90; n > 0; n--) {
                write_random(&rng, &all[++total]);
            }
            follow(sub, &f, all, &next, &got);
            for (uint64_t s = next; s <= total; s++) { /* what was not delivered does not pass */
                assert_false(model_passes(&f, &all[s]));
            }
        }
        hwal_unsubscribe(sub);
    }
    assert_true(got > 1000);
    hwal_unsubscribe(NULL);
    hwal_detach(h);
}

static void test_losses_are_exact_and_the_newest_can_be_next(void **state)
{
    (void)state;
    hwal_t             *h      = attached();
    const hwal_filter_t newest = {.after_loss = HWAL_NEWEST};
    hwal_sub_t         *a = hwal_subscribe(h, "ev", NULL), *b = hwal_subscribe(h, "ev", &newest);
    hwal_message_t      m;
    for (uint64_t n = 1; n <= 200; n++) {
        say(n);
    }
    assert_int_equal(hwal_next(a, &m), HWAL_GAP);
    assert_int_equal(m.lost_from, 1);
    assert_int_equal(m.lost_to, 200 - 64);
    assert_int_equal(hwal_next(a, &m), HWAL_OK);
    assert_int_equal(m.seq, 200 - 63);
    assert_int_equal(((const verdict_t *)m.body)->cl_ord_id, m.seq);
    assert_int_equal(hwal_next(b, &m), HWAL_GAP);
    assert_int_equal(m.lost_to, 200);
    assert_int_equal(hwal_next(b, &m), HWAL_EMPTY);
    say(201);
    assert_int_equal(hwal_next(b, &m), HWAL_OK);
    assert_int_equal(m.seq, 201);
    hwal_detach(h); /* with both still there */
}

static void test_damage_is_passed_over_and_newer_types_are_shown(void **state)
{
    (void)state;
    hwal_t        *h   = attached();
    hwal_sub_t    *sub = hwal_subscribe(h, "ev", NULL);
    hwal_message_t m;
    say(1);
    memset(ring_reserve(&ev), 0xff, 64);
    ring_commit(&ev, &(ring_meta_t){.len = 64, .type = MSG_VERDICT});
    memset(ring_reserve(&ev), 0x5a, 64);
    ring_commit(&ev, &(ring_meta_t){.len = 64, .type = MSG_TYPE_COUNT + 5});
    say(4);
    assert_int_equal(hwal_next(sub, &m), HWAL_OK);
    assert_int_equal(hwal_next(sub, &m), HWAL_DAMAGED);
    assert_int_equal(hwal_damaged(h), 1);
    assert_int_equal(hwal_next(sub, &m), HWAL_OK);
    assert_int_equal(m.type, MSG_TYPE_COUNT + 5);
    assert_null(m.body);
    assert_int_equal(m.raw_len, 64);
    assert_int_equal(*(const uint8_t *)m.raw, 0x5a);
    assert_int_equal(hwal_json(&m, NULL, 0, NULL), HWAL_UNSUPPORTED);
    assert_int_equal(hwal_next(sub, &m), HWAL_OK);
    assert_int_equal(m.seq, 4);
    hwal_detach(h);
}

static void test_subscribe_refuses_with_a_sentence(void **state)
{
    (void)state;
    hwal_t       *h      = attached();
    hwal_filter_t filter = {.start = 3};
    assert_null(hwal_subscribe(h, "nosuch", NULL));
    assert_int_equal(hwal_error_code(), HWAL_NOT_FOUND);
    assert_non_null(strstr(hwal_error(), "nosuch"));
    assert_null(hwal_subscribe(h, "jrn", NULL));
    assert_int_equal(hwal_error_code(), HWAL_ARG);
    assert_null(hwal_subscribe(h, "ev", &filter));
    assert_int_equal(hwal_error_code(), HWAL_ARG);
    filter = (hwal_filter_t){.after_loss = HWAL_SEQUENCE};
    assert_null(hwal_subscribe(h, "ev", &filter));
    filter = (hwal_filter_t){.topics_count = HWAL_TOPICS_MAX + 1};
    assert_null(hwal_subscribe(h, "ev", &filter));
    assert_int_equal(hwal_error_code(), HWAL_LIMIT);
    hwal_detach(h);
}

static void test_a_role_that_begins_anew_is_told_once(void **state)
{
    (void)state;
    hwal_t        *h  = attached();
    hwal_sub_t    *of = hwal_subscribe(h, "ev", NULL), *untouched = hwal_subscribe(h, "md.sim", NULL);
    const trade_t  trade = {.px = 1};
    hwal_message_t m;
    for (uint64_t n = 1; n <= 5; n++) {
        say(n);
        say_as(&md, MSG_TRADE, &trade, 1, 0);
    }
    for (uint64_t n = 1; n <= 3; n++) {
        assert_int_equal(hwal_next(of, &m), HWAL_OK);
        assert_int_equal(hwal_next(untouched, &m), HWAL_OK);
    }
    put_book(1, 100);
    assert_int_equal(hwal_record(h, HWAL_BOOKS, 0, &m), HWAL_OK);
    assert_int_equal(hwal_again(h), 0);
    memset(records_begin(&books, 1), 0xff, 64);
    records_end(&books, 1, &(ring_meta_t){.len = 64, .type = MSG_BOOK_UPDATE});
    assert_int_equal(hwal_record(h, HWAL_BOOKS, 1, &m), HWAL_DAMAGED);
    make_engine();
    say(77);
    assert_int_equal(hwal_again(h), 1);
    assert_int_equal(hwal_damaged(h), 1); /* what could not be believed so far, in all of its lives */
    assert_int_equal(hwal_next(of, &m), HWAL_RESTART);
    assert_int_equal(m.lost_from, 4);
    assert_int_equal(m.lost_to, 5);
    assert_int_equal(hwal_next(of, &m), HWAL_OK);
    assert_int_equal(m.seq, 1);
    assert_int_equal(((const verdict_t *)m.body)->cl_ord_id, 77);
    assert_int_equal(hwal_next(of, &m), HWAL_EMPTY);
    assert_int_equal(hwal_next(untouched, &m), HWAL_OK);
    assert_int_equal(m.seq, 4);
    assert_int_equal(hwal_record(h, HWAL_BOOKS, 0, &m), HWAL_EMPTY); /* the new engine has none yet */
    assert_int_equal(hwal_again(h), 0);
    hwal_detach(h);
}

static void test_a_ring_may_be_missing_for_a_while(void **state)
{
    (void)state;
    hwal_t        *h     = attached();
    hwal_sub_t    *sub   = hwal_subscribe(h, "md.sim", NULL);
    const trade_t  trade = {.px = 1};
    size_t         bytes;
    hwal_message_t m;
    say_as(&md, MSG_TRADE, &trade, 1, 0);
    unlinkat(dir_fd, "sim.3", 0);
    const role_row_t none = {.status = ROLE_STATUS_BACKOFF, .gen = 99};
    role_table_write(object_of(ROLE_SUPERVISOR, "roles", SEGMENT_ROLES, &bytes), ROLE_SIM, &none);
    assert_int_equal(hwal_again(h), 1);
    assert_int_equal(hwal_next(sub, &m), HWAL_EMPTY);
    make(ROLE_SIM);
    ring_of(ROLE_SIM, "md", &md);
    say_as(&md, MSG_TRADE, &trade, 1, 0);
    assert_int_equal(hwal_again(h), 1);
    assert_int_equal(hwal_next(sub, &m), HWAL_RESTART);
    assert_true(m.lost_from == 1 && m.lost_to == 1);
    assert_int_equal(hwal_next(sub, &m), HWAL_OK);
    assert_int_equal(hwal_next(sub, &m), HWAL_EMPTY);
    hwal_detach(h);
}

/* ---- records, numbers, JSON ------------------------------------------------------------------------------------------- */
static void test_records_are_whole_or_not_there(void **state)
{
    (void)state;
    hwal_t        *h = attached();
    hwal_message_t a, b;
    put_book(1, 6160201);
    const order_record_t order = {.cl_ord_id = 9, .px = 6160201};
    put(&orders, 3, &(msg_t){.type = MSG_ORDER, .body = &order});
    assert_int_equal(hwal_record_count(h, HWAL_ORDERS), 16);
    assert_int_equal(hwal_record_count(h, HWAL_KINDS), 0);
    assert_int_equal(hwal_record(h, HWAL_BOOKS, 0, &a), HWAL_OK);
    assert_int_equal(hwal_record(h, HWAL_ORDERS, 3, &b), HWAL_OK);
    assert_int_equal(((const order_record_t *)b.body)->cl_ord_id, 9);
    const book_update_t *book = a.body; /* still there: another kind */
    assert_int_equal(book->bid_count, 1);
    assert_int_equal(((const level_t *)a.tail)[0].px, 6160201);
    assert_int_equal(a.tail_count, 3);
    const uint64_t version = a.seq;
    put_book(1, 6160200);
    assert_int_equal(hwal_record(h, HWAL_BOOKS, 0, &a), HWAL_OK);
    assert_true(a.seq > version);
    assert_int_equal(hwal_record(h, HWAL_BOOKS, 1, &a), HWAL_EMPTY);
    assert_int_equal(hwal_record(h, HWAL_ORDERS, 16, &a), HWAL_ARG);
    assert_int_equal(hwal_record(h, HWAL_KINDS, 0, &a), HWAL_ARG);
    records_begin(&books, 1); /* its writer dies here */
    assert_int_equal(hwal_record(h, HWAL_BOOKS, 1, &a), HWAL_AGAIN);
    assert_int_equal(hwal_damaged(h), 1);
    hwal_detach(h);
}

static void test_numbers_are_exact_or_refused(void **state)
{
    (void)state;
    hwal_t           *h = attached();
    hwal_instrument_t ins;
    char              text[HWAL_DECIMAL_MAX];
    int64_t           n = 5;
    assert_int_equal(hwal_symbol(h, "btc-usdt", &ins), HWAL_OK);
    assert_string_equal(ins.symbol, "BTC-USDT");
    assert_int_equal(hwal_px_parse(&ins, "61602.01", &n), HWAL_OK);
    assert_int_equal(n, 6160201);
    assert_string_equal(hwal_px_format(&ins, n, text), "61602.01");
    assert_int_equal(hwal_qty_parse(&ins, "0.00001", &n), HWAL_OK);
    assert_int_equal(n, 1);
    assert_string_equal(hwal_qty_format(&ins, -1, text), "-0.00001");
    assert_int_equal(hwal_px_parse(&ins, "1.001", &n), HWAL_SCALE);
    assert_int_equal(hwal_px_parse(&ins, "1x", &n), HWAL_ARG);
    assert_int_equal(hwal_px_parse(&ins, "99999999999999999999", &n), HWAL_ARG);
    assert_int_equal(n, 1);
    assert_int_equal(hwal_decimal_parse("1", 19, &n), HWAL_ARG);
    assert_string_equal(hwal_decimal_format(5, -1, text), "5e1");
    assert_int_equal(hwal_instrument(h, 2, &ins), HWAL_OK);
    assert_string_equal(ins.symbol, "ETH-USDT");
    assert_int_equal(hwal_instrument(h, 3, &ins), HWAL_NOT_FOUND);
    put_instrument(3, "ETH-USDT"); /* comes while we look, and makes the symbol ambiguous */
    assert_int_equal(hwal_instrument(h, 3, &ins), HWAL_OK);
    assert_int_equal(hwal_symbol(h, "ETH-USDT", &ins), HWAL_NOT_FOUND);
    assert_non_null(strstr(hwal_error(), "2 (venue 2), 3 (venue 3)"));
    assert_int_equal(hwal_symbol(h, "3", &ins), HWAL_OK);
    assert_int_equal(ins.def.instrument_id, 3);
    hwal_detach(h);
}

static void test_json_says_how_much_room_it_needs(void **state)
{
    (void)state;
    hwal_t        *h   = attached();
    hwal_sub_t    *sub = hwal_subscribe(h, "ev", NULL);
    hwal_message_t m;
    char           text[2048];
    size_t         need = 0, len = 0;
    say(18446744073709551615u);
    assert_int_equal(hwal_next(sub, &m), HWAL_OK);
    assert_int_equal(hwal_json(&m, text, 4, &need), HWAL_FULL);
    assert_int_equal(hwal_json(&m, text, need, &len), HWAL_OK);
    assert_int_equal(len, need - 1);
    assert_int_equal(strlen(text), len);
    assert_non_null(strstr(text, "\"cl_ord_id\":18446744073709551615"));
    assert_string_equal(hwal_type_name(m.type), "VERDICT");
    assert_string_equal(hwal_code_name(108), "PRICE_NOT_ON_TICK");
    assert_string_equal(hwal_err_name(HWAL_INTERNAL), "INTERNAL");
    assert_string_equal(hwal_err_name((hwal_err_t)99), "?");
    hwal_detach(h);
}

/* ---- lanes: the other end ---------------------------------------------------------------------------------------------- */
typedef struct door { /* supervisor and engine, for one lease */
    int           listener;
    lane_server_t server;
    lane_t        lane;
    err_t         refuse;
    pthread_t     thread;
} door_t;

static void *door_main(void *arg)
{
    door_t        *d = arg;
    lane_hello_t   hello;
    lane_welcome_t welcome = {.magic = LANE_WELCOME_MAGIC};
    int            fds[2], link = accept(d->listener, NULL, NULL);
    MUST(link >= 0 && recv(link, &hello, sizeof hello, 0) == (ssize_t)sizeof hello);
    MUST(hello.magic == LANE_HELLO_MAGIC && strcmp(hello.name, "desk") == 0);
    struct iovec                  io                              = {&welcome, sizeof welcome};
    struct msghdr                 msg                             = {.msg_iov = &io, .msg_iovlen = 1};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {0};
    if (d->refuse) {
        welcome.err = (uint32_t)d->refuse;
        snprintf(welcome.text, sizeof welcome.text, "client \"desk\" is leased by process 4711");
        MUST(sendmsg(link, &msg, 0) > 0);
        close(link);
        return NULL;
    }
    MUST(lane_make(16, &fds[0], &fds[1]) == ERR_OK);
    MUST(lane_serve(&d->server, dup(fds[0]), dup(fds[1]), dup(link)) == ERR_OK);
    msg.msg_control        = control;
    msg.msg_controllen     = sizeof control;
    struct cmsghdr *rights = CMSG_FIRSTHDR(&msg);
    rights->cmsg_level     = SOL_SOCKET;
    rights->cmsg_type      = SCM_RIGHTS;
    rights->cmsg_len       = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(rights), fds, sizeof fds);
    MUST(sendmsg(link, &msg, 0) > 0);
    close(fds[0]);
    close(fds[1]);
    close(link);
    lane_open(&d->server, &d->lane);
    return NULL;
}

static void door_open(door_t *d, err_t refuse)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    *d                    = (door_t){.refuse = refuse,
                                     .lane   = {.lease       = 5,
                                                .accounts    = 1u << 3,
                                                .first_seq   = 100,
                                                .lane_id     = 1,
                                                .tenant_id   = 1,
                                                .strategy_id = 9,
                                                .epoch       = EPOCH,
                                                .rights      = LANE_RIGHT_CHECK | LANE_RIGHT_ORDER}};
    snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/%s", dir_fd, LANE_SOCKET);
    d->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(d->listener, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(d->listener, 1), 0);
    assert_int_equal(pthread_create(&d->thread, NULL, door_main, d), 0);
}

static hwal_lane_t *leased(hwal_t *h, door_t *d)
{
    door_open(d, ERR_OK);
    hwal_lane_t *lane = hwal_lane_open(h, "desk", 2 * NS_PER_S);
    if (!lane) {
        print_message("%s\n", hwal_error());
    }
    assert_non_null(lane);
    pthread_join(d->thread, NULL);
    return lane;
}

static void door_close(door_t *d)
{
    if (d->server.rsp) {
        lane_close(&d->server, LANE_REASON_STOP);
    }
    close(d->listener);
    unlinkat(dir_fd, LANE_SOCKET, 0);
}

static void answer(door_t *d, msg_type_t type, const void *body)
{
    _Alignas(8) uint8_t bytes[256];
    size_t              len = 0;
    MUST(message_write(&(msg_t){.type = type, .body = body}, bytes, sizeof bytes, &len) == ERR_OK);
    MUST(lane_answer(&d->server, &(ring_meta_t){.len = (uint32_t)len, .type = (uint16_t)type, .tenant = 1}, bytes) ==
         ERR_OK);
    lane_bell(&d->server);
}

static void answer_verdict(door_t *d, uint64_t id)
{
    const verdict_t v = {.cl_ord_id = id, .action = ORDER_ACTION_NEW};
    answer(d, MSG_VERDICT, &v);
}

static void answer_check(door_t *d, int64_t adjusted)
{
    const risk_check_resp_t r = {.adjusted_qty = adjusted, .approved = 1};
    answer(d, MSG_RISK_CHECK_RESPONSE, &r);
}

static bool taken(door_t *d, msg_type_t type, void *body)
{
    _Alignas(8) uint8_t bytes[256];
    ring_meta_t         meta;
    msg_t               msg;
    if (lane_take(&d->server, bytes, sizeof bytes, &meta) != ERR_OK) {
        return false;
    }
    MUST(message_read((msg_type_t)meta.type, bytes, meta.len, &msg) == ERR_OK && msg.type == type);
    memcpy(body, msg.body, msg_body_size(type));
    return true;
}

/* What the engine does between a look at the lane and one at its connection (recv): its last answer, and the end. */
static door_t *between;

ssize_t recv(int fd, void *buf, size_t n,
             int flags) /* of the C library: the library under test is linked to this one */
{
    door_t *d = between;
    between   = NULL;
    if (d) {
        answer_verdict(d, 1);
        lane_close(&d->server, LANE_REASON_STOP);
    }
    return recvfrom(fd, buf, n, flags, NULL, NULL);
}

/* ---- lanes ------------------------------------------------------------------------------------------------------------- */
static void test_lane_fills_requests_in(void **state)
{
    (void)state;
    size_t          bytes;
    engine_clock_t *clock = object_of(ROLE_ENGINE, "clock", SEGMENT_BLOB, &bytes);
    atomic_store(&clock->mono_offset_ns, 1000 * NS_PER_S);
    door_t       d;
    hwal_t      *h    = attached();
    hwal_lane_t *lane = leased(h, &d);
    hwal_detach(h); /* the lane lives on */
    lane_t identity;
    assert_int_equal(hwal_lane_identity(lane, &identity), HWAL_OK);
    assert_true(identity.strategy_id == 9 && identity.first_seq == 100 && identity.state == LANE_OPEN);
    assert_int_equal(hwal_lane_reason(lane), LANE_REASON_NONE);
    for (uint64_t i = 0; i < 3; i++) {
        order_req_t order = {.instrument_id = 1, .px = 5, .qty = 6, .action = ORDER_ACTION_NEW}, got;
        assert_int_equal(hwal_lane_order(lane, &order), HWAL_OK);
        assert_true(taken(&d, MSG_ORDER_REQUEST, &got));
        assert_memory_equal(&order, &got, sizeof got);
        assert_int_equal(got.cl_ord_id, cl_ord_id_make(EPOCH, 9, 100 + i));
        assert_true(got.tenant_id == 1 && got.strategy_id == 9 && got.account_id == 3);
        const int64_t age = role_mono_ns() + 1000 * NS_PER_S - got.created_mono_ns;
        assert_true(age >= 0 && age < NS_PER_S);
    }
    order_req_t given = {.account_id = 4, .created_mono_ns = 77, .action = ORDER_ACTION_CANCEL}, got;
    assert_int_equal(hwal_lane_order(lane, &given), HWAL_OK);
    assert_true(taken(&d, MSG_ORDER_REQUEST, &got));
    assert_true(got.account_id == 4 && got.created_mono_ns == 77);
    const order_req_t fresh = {.px = 5};
    uint32_t          sent  = 0;
    for (;; sent++) { /* the engine takes nothing */
        order_req_t      order = fresh;
        const hwal_err_t err   = hwal_lane_order(lane, &order);
        if (err != HWAL_OK) {
            assert_int_equal(err, HWAL_FULL);
            assert_memory_equal(&order, &fresh, sizeof order);
            break;
        }
    }
    assert_int_equal(sent, 16);
    assert_true(taken(&d, MSG_ORDER_REQUEST, &got));
    order_req_t after = fresh;
    assert_int_equal(hwal_lane_order(lane, &after), HWAL_OK);
    assert_int_equal(after.cl_ord_id, cl_ord_id_make(EPOCH, 9, 104 + 16)); /* no number is left out */
    door_close(&d);
    hwal_lane_close(lane);
}

static void *answers_late(void *arg)
{
    door_t          *d = arg;
    risk_check_req_t req;
    while (!taken(d, MSG_RISK_CHECK_REQUEST, &req)) {
        usleep(100);
    }
    MUST(req.account_id == 3 && req.qty == 50);
    answer_verdict(d, 1);
    answer_verdict(d, 2);
    usleep(2000); /* the client sleeps meanwhile */
    answer_check(d, 33);
    answer_verdict(d, 3);
    return NULL;
}

static void expect_verdict(hwal_lane_t *lane, uint64_t id)
{
    hwal_message_t m;
    assert_int_equal(hwal_lane_wait(lane, 0, NS_PER_S), HWAL_OK);
    assert_int_equal(hwal_lane_next(lane, &m), HWAL_OK);
    assert_int_equal(m.type, MSG_VERDICT);
    assert_int_equal(((const verdict_t *)m.body)->cl_ord_id, id);
}

static void test_lane_check_keeps_what_else_comes(void **state)
{
    (void)state;
    door_t                 d;
    hwal_t                *h    = attached();
    hwal_lane_t           *lane = leased(h, &d);
    const risk_check_req_t req  = {.qty = 50, .instrument_id = 1, .side = SIDE_BUY};
    risk_check_resp_t      resp;
    hwal_message_t         m;
    pthread_t              thread;
    assert_int_equal(hwal_lane_next(lane, &m), HWAL_EMPTY);
    assert_int_equal(hwal_lane_wait(lane, 1000, 1000000), HWAL_AGAIN);
    pthread_create(&thread, NULL, answers_late, &d);
    assert_int_equal(hwal_lane_check(lane, &req, &resp, 5 * NS_PER_S), HWAL_OK);
    assert_int_equal(resp.adjusted_qty, 33);
    pthread_join(thread, NULL);
    for (uint64_t id = 1; id <= 3; id++) {
        expect_verdict(lane, id);
    }
    assert_int_equal(hwal_lane_next(lane, &m), HWAL_EMPTY);

    /* time is over: the late answer is not taken for the next one's */
    assert_int_equal(hwal_lane_check(lane, &req, &resp, 0), HWAL_AGAIN);
    assert_int_equal(hwal_lane_ask(lane, &req), HWAL_OK);
    answer_check(&d, 1);
    answer_check(&d, 2);
    answer_check(&d, 3);
    assert_int_equal(hwal_lane_check(lane, &req, &resp, NS_PER_S), HWAL_OK);
    assert_int_equal(resp.adjusted_qty, 3);
    for (int64_t n = 1; n <= 2; n++) {
        assert_int_equal(hwal_lane_next(lane, &m), HWAL_OK);
        assert_int_equal(m.type, MSG_RISK_CHECK_RESPONSE);
        assert_int_equal(((const risk_check_resp_t *)m.body)->adjusted_qty, n);
    }
    assert_int_equal(hwal_lane_next(lane, &m), HWAL_EMPTY);
    door_close(&d);
    hwal_lane_close(lane);
    hwal_detach(h);
}

static void test_lane_keeps_as_many_as_it_can_hold(void **state)
{
    (void)state;
    door_t                 d;
    hwal_t                *h    = attached();
    hwal_lane_t           *lane = leased(h, &d);
    const risk_check_req_t req  = {.qty = 50};
    risk_check_resp_t      resp;
    hwal_message_t         m;
    for (uint64_t id = 1; id <= 16; id++) { /* as many as the lane has slots */
        answer_verdict(&d, id);
        assert_int_equal(hwal_lane_check(lane, &req, &resp, 0), id < 16 ? HWAL_AGAIN : HWAL_FULL);
    }
    assert_int_equal(hwal_lane_check(lane, &req, &resp, 0), HWAL_FULL); /* ask itself finds no room: nobody takes */
    for (uint64_t id = 1; id <= 16; id++) {
        expect_verdict(lane, id);
    }
    assert_int_equal(hwal_lane_next(lane, &m), HWAL_EMPTY);
    for (int64_t n = 1; n <= 16; n++) { /* the sixteen asked */
        answer_check(&d, n);
        assert_int_equal(hwal_lane_next(lane, &m), HWAL_OK);
        assert_int_equal(((const risk_check_resp_t *)m.body)->adjusted_qty, n);
    }
    door_close(&d);
    hwal_lane_close(lane);
    hwal_detach(h);
}

static void test_lane_end_comes_after_the_last_answer(void **state)
{
    (void)state;
    door_t            d;
    hwal_t           *h     = attached();
    hwal_lane_t      *lane  = leased(h, &d);
    order_req_t       order = {.px = 1};
    risk_check_resp_t resp;
    hwal_message_t    m;
    answer_verdict(&d, 1);
    door_close(&d);
    assert_int_equal(hwal_lane_reason(lane), LANE_REASON_STOP);
    assert_int_equal(hwal_lane_order(lane, &order), HWAL_CLOSED);
    assert_non_null(strstr(hwal_error(), hwal_reason_name(LANE_REASON_STOP)));
    assert_int_equal(hwal_lane_check(lane, &(risk_check_req_t){.qty = 1}, &resp, NS_PER_S), HWAL_CLOSED);
    expect_verdict(lane, 1);
    assert_int_equal(hwal_lane_next(lane, &m), HWAL_OK);
    assert_int_equal(m.type, MSG_LANE);
    assert_int_equal(((const lane_t *)m.body)->reason, LANE_REASON_STOP);
    assert_int_equal(hwal_lane_next(lane, &m), HWAL_CLOSED);
    assert_int_equal(hwal_lane_wait(lane, 0, NS_PER_S), HWAL_CLOSED);
    hwal_lane_close(lane);
    hwal_lane_close(NULL);
    hwal_detach(h);
}

static void test_lane_wait_says_closed_when_all_was_read(void **state)
{
    (void)state;
    door_t         d;
    hwal_message_t m;
    hwal_t        *h    = attached();
    hwal_lane_t   *lane = leased(h, &d);
    between             = &d;
    assert_int_equal(hwal_lane_wait(lane, 0, 0), HWAL_OK);
    assert_null(between);
    assert_int_equal(hwal_lane_next(lane, &m), HWAL_OK);
    assert_int_equal(m.type, MSG_VERDICT);
    assert_int_equal(hwal_lane_wait(lane, 0, 0), HWAL_OK);
    assert_int_equal(hwal_lane_next(lane, &m), HWAL_OK);
    assert_int_equal(m.type, MSG_LANE);
    assert_int_equal(hwal_lane_wait(lane, 0, 0), HWAL_CLOSED);
    hwal_lane_close(lane);
    door_close(&d);
    hwal_detach(h);
}

static void test_an_engine_that_dies_without_a_word_is_found_out(void **state)
{
    (void)state;
    door_t            d;
    hwal_t           *h     = attached();
    hwal_lane_t      *lane  = leased(h, &d);
    order_req_t       order = {.px = 1};
    risk_check_resp_t resp;
    hwal_message_t    m;
    answer_verdict(&d, 1);
    close(d.server.link_fd); /* as its death would */
    assert_int_equal(hwal_lane_reason(lane), LANE_REASON_DEAD);
    assert_int_equal(hwal_lane_check(lane, &(risk_check_req_t){.qty = 1}, &resp, NS_PER_S), HWAL_CLOSED);
    expect_verdict(lane, 1);
    assert_int_equal(hwal_lane_next(lane, &m), HWAL_CLOSED);
    assert_int_equal(hwal_lane_wait(lane, 0, NS_PER_MS), HWAL_CLOSED);
    assert_int_equal(hwal_lane_order(lane, &order), HWAL_CLOSED);
    hwal_lane_close(lane);
    lane             = NULL;
    d.server.link_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    door_close(&d);
    lane = leased(h, &d);
    close(d.server.link_fd);
    assert_int_equal(hwal_lane_wait(lane, 0, NS_PER_MS), HWAL_CLOSED); /* shorter than the lane's own looks */
    assert_int_equal(hwal_lane_next(lane, &m), HWAL_CLOSED);
    hwal_lane_close(lane);
    d.server.link_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    door_close(&d);
    hwal_detach(h);
}

static void test_lane_refusals_keep_their_sentence(void **state)
{
    (void)state;
    door_t  d;
    hwal_t *h = attached();
    assert_null(hwal_lane_open(h, "desk", NS_PER_MS)); /* nobody listens */
    assert_true(hwal_error_code() != HWAL_OK && *hwal_error());
    door_open(&d, ERR_EXISTS);
    assert_null(hwal_lane_open(h, "desk", NS_PER_S));
    pthread_join(d.thread, NULL);
    assert_int_equal(hwal_error_code(), HWAL_EXISTS);
    assert_non_null(strstr(hwal_error(), "4711"));
    door_close(&d);
    door_open(&d, ERR_OK);
    atomic_store(&engine_control->epoch, EPOCH + 1); /* the engine that opens it is not the one that is there */
    assert_null(hwal_lane_open(h, "desk", NS_PER_S));
    pthread_join(d.thread, NULL);
    assert_int_equal(hwal_error_code(), HWAL_STATE);
    assert_non_null(strstr(hwal_error(), "epoch 7"));
    door_close(&d);
    hwal_detach(h);
}

/* ---- damage anywhere -------------------------------------------------------------------------------------------------- */
/* Every function that looks, on whatever is there: each ends, and what is handed out lies where it says. */
static uint64_t walked; /* sum of what was handed out: all of it was touched */

static void walk_message(const hwal_message_t *m)
{
    static char text[1 << 16];
    size_t      len = 0;
    for (uint32_t i = 0; i < m->body_len && m->body; i++) {
        walked += ((const uint8_t *)m->body)[i];
    }
    walked += m->text ? strlen(m->text) : 0;
    if (m->type == MSG_BOOK_UPDATE && m->body) {
        const book_update_t *book = m->body;
        assert_true((uint32_t)book->bid_count + book->ask_count <= m->tail_count);
        for (uint32_t i = 0; i < m->tail_count; i++) {
            walked += (uint64_t)((const level_t *)m->tail)[i].qty;
        }
    }
    const hwal_err_t err = hwal_json(m, text, sizeof text, &len);
    assert_true(err != HWAL_OK || strlen(text) == len);
}

static void walk(hwal_t *h)
{
    hwal_role_t       role;
    hwal_ring_t       ring;
    hwal_counter_t    counter;
    hwal_histogram_t  latency;
    hwal_message_t    m;
    hwal_instrument_t ins;
    const uint32_t    at[] = {0, 500000, 1000000};
    uint64_t          values[3];
    uint32_t          i = 0;
    for (; i < 100 && hwal_role(h, i, &role) == HWAL_OK; i++) {
        walked += strlen(role.name) + strlen(role.state);
    }
    for (i = 0; i < 100 && hwal_ring(h, i, &ring) == HWAL_OK; i++) {
        hwal_sub_t *sub = hwal_subscribe(h, ring.name, NULL);
        hwal_err_t  err = HWAL_OK;
        for (uint32_t n = 0; sub && n < 300 && err != HWAL_EMPTY; n++) {
            err = hwal_next(sub, &m);
            if (err == HWAL_OK) {
                walk_message(&m);
            }
        }
        hwal_unsubscribe(sub);
    }
    for (i = 0; i < COUNTER_COUNT + 2; i++) {
        if (hwal_counter(h, "engine", i, &counter) == HWAL_OK) {
            walked += strlen(counter.name) + strlen(counter.unit) + strlen(counter.help) + counter.value;
        }
    }
    for (i = 0; i < 100 && hwal_histogram(h, i, at, values, 3, &latency) == HWAL_OK; i++) {
        walked += values[0] + values[1] + values[2] + strlen(latency.name) + strlen(latency.unit);
    }
    for (uint32_t kind = 0; kind <= HWAL_KINDS; kind++) {
        const uint32_t count = hwal_record_count(h, kind);
        for (i = 0; i < count && i < 300; i++) {
            if (hwal_record(h, kind, i, &m) == HWAL_OK) {
                walk_message(&m);
            }
        }
    }
    hwal_instrument(h, 1, &ins);
    hwal_symbol(h, "ETH-USDT", &ins);
    walked += (uint64_t)hwal_stale(h) + hwal_damaged(h) + (uint64_t)hwal_again(h);
}

/* Bytes of a segment, before attaching or while attached; most of them where something is: in the heads of its objects. */
static void damage(uint64_t *rng, segment_t *s)
{
    const segment_object_t *objects = s->head->objects;
    for (uint64_t n = 1 + seeded_next(rng) % 24; n > 0; n--) {
        const segment_object_t *o     = &objects[seeded_next(rng) % SEGMENT_OBJECTS_MAX];
        const bool              there = o->bytes != 0 && o->bytes <= s->bytes && o->offset <= s->bytes - o->bytes;
        const uint64_t          span  = there && seeded_next(rng) % 4 ? 512 : s->bytes;
        const uint64_t at = (there ? o->offset : 0) + seeded_next(rng) % (there && o->bytes < span ? o->bytes : span);
        if (at < s->bytes) {
            uint8_t *byte = (uint8_t *)s->head + at;
            *byte         = (uint8_t)(seeded_next(rng) % 3 ? *byte ^ 1u << seeded_next(rng) % 8 : seeded_next(rng));
        }
    }
}

static void test_damage_anywhere_is_survived(void **state)
{
    (void)state;
    static uint8_t     *saved[ROLE_COUNT];
    static const role_t roles[] = {ROLE_SUPERVISOR, ROLE_ENGINE, ROLE_SIM};
    uint64_t            rng     = seeded_seed("damage");
    const uint64_t      rounds  = seeded_rounds(getenv("HWAL_QUICK") ? 60 : 400, 20000);
    size_t              bytes;
    uint64_t            attaches = 0;
    put_book(1, 100);
    for (uint64_t n = 1; n <= 40; n++) {
        say(n);
    }
    histogram_t *histogram = object_of(ROLE_ENGINE, "event", SEGMENT_HISTOGRAM, &bytes);
    histogram_record(histogram, 77, 1);
    for (uint32_t i = 0; i < 3; i++) {
        const segment_t *s = &seg[roles[i]];
        saved[roles[i]]    = malloc(s->bytes);
        memcpy(saved[roles[i]], s->head, s->bytes);
    }
    for (uint64_t round = 0; round < rounds; round++) {
        segment_t *s     = &seg[roles[seeded_next(&rng) % 4 ? 1 : seeded_next(&rng) % 3]];
        const bool early = seeded_next(&rng) % 2;
        if (early) {
            damage(&rng, s);
        }
        hwal_t *h = hwal_attach(INSTANCE, NULL);
        if (h) {
            attaches++;
            if (!early) {
                damage(&rng, s);
            }
            walk(h);
            hwal_detach(h);
        }
        memcpy(s->head,
               saved[s->head == seg[ROLE_ENGINE].head ? ROLE_ENGINE
                     : s->head == seg[ROLE_SIM].head  ? ROLE_SIM
                                                      : ROLE_SUPERVISOR],
               s->bytes);
    }
    print_message("%llu of %llu damaged instances were attached\n", (unsigned long long)attaches,
                  (unsigned long long)rounds);
    assert_true(attaches > rounds / 2 && walked > 0);
    for (uint32_t i = 0; i < 3; i++) {
        free(saved[roles[i]]);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_attach_names_what_there_is),
        T(test_roles_rings_counters_histograms),
        T(test_subscriptions_pass_what_a_list_says),
        T(test_losses_are_exact_and_the_newest_can_be_next),
        T(test_damage_is_passed_over_and_newer_types_are_shown),
        T(test_subscribe_refuses_with_a_sentence),
        T(test_a_role_that_begins_anew_is_told_once),
        T(test_a_ring_may_be_missing_for_a_while),
        T(test_records_are_whole_or_not_there),
        T(test_numbers_are_exact_or_refused),
        T(test_json_says_how_much_room_it_needs),
        T(test_lane_fills_requests_in),
        T(test_lane_check_keeps_what_else_comes),
        T(test_lane_keeps_as_many_as_it_can_hold),
        T(test_lane_end_comes_after_the_last_answer),
        T(test_lane_wait_says_closed_when_all_was_read),
        T(test_an_engine_that_dies_without_a_word_is_found_out),
        T(test_lane_refusals_keep_their_sentence),
        T(test_damage_anywhere_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
