/* sim: the adapter of the simulated venue, between an engine that this test plays and a real venue (tools/venue_session.h)
 * at the other end of a socket pair.
 *
 * Invariants   instruments get ids, then VENUE_LINK 1; what passes the gates is sent once and never again, whoever dies;
 *              what is refused is answered; `taken` moves before a byte leaves; no report is lost, however slow either
 *              side is; in silence the fence rises and every open order is cancelled, also those of a life before; any
 *              bytes on the socket end the session at worst. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapters/venues/sim/sim_adapter.h"
#include "core/ref/capability.h"
#include "core/risk/risk_code.h"
#include "core/types/ids.h"
#include "core/types/time.h"
#include "tools/venue_session.h"

#define T0 1700000000000000000LL
#define REPORTS 60000u

typedef struct world {
    config_t         *config;
    char              dir[24];
    int               dir_fd;
    role_ctx_t        ctx;
    sim_t             sim;
    segment_t         engine; /* writable: this test is the engine */
    control_page_t   *control;
    ring_cursor_t    *cursors;
    lossless_writer_t ord;
    lossless_reader_t exec;
    ring_reader_t     md;
    records_writer_t  records;
    uint32_t          instruments;
    segment_t         journal;
    void             *state, *in, *out;
    venue_session_t   session;
    int64_t           base_ns, mono_ns;
    uint32_t          gen;
    bool              deaf; /* the engine does not read exec */
    exec_report_t    *reports;
    uint32_t          report_count;
    uint32_t          links_up, links_down, sessions, statuses, ends, definitions;
    uint64_t          md_count;
    uint64_t          rpt_seq[65];
    bool              live[65];
    uint64_t          healed, broken, gaps;
} world_t;

static segment_t segment_make(world_t *w, role_t role, uint32_t epoch)
{
    segment_t seg;
    char      name[64];
    assert_int_equal(topology_segment(role, w->config, 0, w->dir_fd, epoch, ++w->gen, &seg), ERR_OK);
    assert_int_equal(segment_publish(&seg, w->dir_fd), ERR_OK);
    snprintf(name, sizeof name, "%s.%u", topology_role_name(role), w->gen);
    assert_int_equal(unlinkat(w->dir_fd, name, 0), 0); /* descriptors are all that is needed */
    return seg;
}

/* A mapping of its own, as a process has one. */
static segment_t segment_share(const segment_t *seg)
{
    segment_t out;
    assert_int_equal(segment_open_fd(dup(seg->fd), getuid(), false, &out), ERR_OK);
    return out;
}

static void *object(const segment_t *seg, const char *name, segment_kind_t kind, size_t *bytes)
{
    void *at = segment_find(seg, name, kind, bytes);
    assert_non_null(at);
    return at;
}

/* An engine life begins: a new segment; the adapter is told when share is asked for. */
static void engine_start(world_t *w, uint32_t epoch)
{
    size_t bytes;
    w->engine  = segment_make(w, ROLE_ENGINE, epoch);
    w->control = object(&w->engine, "control", SEGMENT_CONTROL, &bytes);
    w->cursors = object(&w->engine, "cursors", SEGMENT_CURSORS, &bytes);
    void *ord  = object(&w->engine, "ord.sim", SEGMENT_LOSSLESS, &bytes);
    assert_int_equal(lossless_writer_join(&w->ord, ord, bytes), ERR_OK);
    void *records = object(&w->engine, "instruments", SEGMENT_RECORDS, &bytes);
    assert_int_equal(records_writer_join(&w->records, records, bytes), ERR_OK);
    w->instruments = 0;
    atomic_store(&w->control->epoch, epoch);
    control_beat(w->control, w->mono_ns);
    control_state(w->control, ROLE_RUN);
}

static void engine_reads(world_t *w, uint64_t taken)
{
    size_t      bytes;
    const void *exec = object(&w->ctx.own, "exec", SEGMENT_LOSSLESS, &bytes);
    assert_int_equal(lossless_reader_join(&w->exec, exec, bytes, &w->cursors[RING_ID_EXEC_SIM], taken), ERR_OK);
}

static void adapter_start(world_t *w)
{
    size_t bytes;
    w->ctx.own      = segment_make(w, ROLE_SIM, 0);
    w->ctx.control  = object(&w->ctx.own, "control", SEGMENT_CONTROL, &bytes);
    w->ctx.counters = object(&w->ctx.own, "counters", SEGMENT_COUNTERS, &bytes);
    w->ctx.cursors  = object(&w->ctx.own, "cursors", SEGMENT_CURSORS, &bytes);
    void *log       = object(&w->ctx.own, "log", SEGMENT_BROADCAST, &bytes);
    w->ctx.log      = (log_t){0};
    assert_int_equal(ring_writer_join(&w->ctx.log.ring, log, bytes), ERR_OK);
    assert_int_equal(sim_open(&w->sim, &w->ctx, NULL), ERR_OK);
    const void *md = object(&w->ctx.own, "md", SEGMENT_BROADCAST, &bytes);
    assert_int_equal(ring_reader_join(&w->md, md, bytes, RING_OLDEST), ERR_OK);
}

static world_t *world_new(void)
{
    world_t *w = calloc(1, sizeof *w);
    assert_int_equal(config_load(NULL, &w->config), ERR_OK);
    w->config->rings.md          = 4096;
    w->config->rings.exec        = 1024;
    w->config->rings.ord         = 1024;
    w->config->rings.jrn         = 16;
    w->config->rings.ev          = 16;
    w->config->market.rate       = 2000;
    w->config->engine.orders_max = 1024;
    memcpy(w->dir, "/tmp/test_sim.XXXXXX", 21);
    assert_non_null(mkdtemp(w->dir));
    w->dir_fd = open(w->dir, O_RDONLY | O_DIRECTORY);
    assert_true(w->dir_fd >= 0);
    w->base_ns = w->mono_ns = role_mono_ns();
    w->reports              = calloc(REPORTS, sizeof *w->reports);
    w->ctx                  = (role_ctx_t){.role = ROLE_SIM, .config = w->config, .ctl_fd = -1};
    w->ctx.words            = aligned_alloc(128, sizeof(words_t));
    memset((void *)w->ctx.words, 0, sizeof(words_t));
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        w->ctx.fifo[r]    = -1;
        w->ctx.peer[r].fd = w->ctx.peer_before[r].fd = -1;
    }
    venue_cfg_t cfg;
    assert_int_equal(venue_config(w->config, &cfg), ERR_OK);
    w->state = aligned_alloc(venue_align(), venue_footprint(&cfg));
    w->in    = aligned_alloc(64, VENUE_SESSION_IN);
    w->out   = aligned_alloc(64, VENUE_SESSION_OUT);
    venue_session_init(&w->session, venue_new(w->state, &cfg, 11, T0), w->in, w->out);
    engine_start(w, 1);
    w->ctx.peer[ROLE_ENGINE] = segment_share(&w->engine);
    adapter_start(w);
    engine_reads(w, 0);
    return w;
}

static void world_free(world_t *w)
{
    venue_session_close(&w->session);
    sim_close(&w->sim);
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        segment_close(&w->ctx.peer[r]);
        segment_close(&w->ctx.peer_before[r]);
    }
    segment_close(&w->ctx.own);
    segment_close(&w->engine);
    if (w->journal.head != NULL) {
        segment_close(&w->journal);
    }
    config_free(w->config);
    close(w->dir_fd);
    rmdir(w->dir);
    free((void *)w->ctx.words);
    free(w->state);
    free(w->in);
    free(w->out);
    free(w->reports);
    free(w);
}

static void connect_both(world_t *w)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    venue_session_open(&w->session, fds[0]);
    sim_connected(&w->sim, fds[1]);
}

/* ---- the engine's side of exec and md ----------------------------------------------------------------------------- */

static void engine_defines(world_t *w, const msg_t *msg)
{
    instrument_def_t def = *(const instrument_def_t *)msg->body;
    msg_t            out = *msg;
    size_t           len = 0;
    assert_int_equal(def.instrument_id, 0);
    def.instrument_id  = 10 + ++w->instruments; /* not the venue's number */
    out.body           = &def;
    const uint32_t at  = def.instrument_id - 1;
    void          *buf = records_begin(&w->records, at);
    assert_int_equal(message_write(&out, buf, w->records.stride - RING_SLOT_HEAD, &len), ERR_OK);
    records_end(&w->records, at, &(ring_meta_t){.len = (uint32_t)len, .type = MSG_INSTRUMENT_DEF});
}

static void engine_collect(world_t *w)
{
    ring_meta_t meta;
    const void *payload;
    msg_t       msg;
    while (!w->deaf && lossless_peek(&w->exec, &meta, &payload) == ERR_OK) {
        assert_int_equal(message_read(meta.type, payload, meta.len, &msg), ERR_OK);
        if (msg.type == MSG_EXEC_REPORT) {
            assert_true(w->report_count < REPORTS);
            w->reports[w->report_count++] = *(const exec_report_t *)msg.body;
        } else if (msg.type == MSG_INSTRUMENT_DEF) {
            engine_defines(w, &msg);
        } else if (msg.type == MSG_MASS_STATUS) {
            w->statuses++;
            w->ends += ((const mass_status_t *)msg.body)->kind == MASS_STATUS_END;
        } else if (msg.type == MSG_VENUE_DEF) {
            const venue_def_t *def = msg.body;
            assert_int_equal(def->venue_id, VENUE_ID);
            assert_int_equal(capability_check(def), ERR_OK);
            assert_true(capability_offers(def, VENUE_REPLACE | VENUE_MASS_CANCEL));
            assert_int_equal(w->links_up, w->definitions++); /* before each link */
        } else {
            const control_t *c = msg.body;
            assert_int_equal(msg.type, MSG_CONTROL);
            assert_int_equal(c->scope_id, VENUE_ID);
            w->sessions += c->kind == CONTROL_SESSION && c->value == SESSION_OPEN;
            w->links_up += c->kind == CONTROL_VENUE_LINK && c->value == 1;
            w->links_down += c->kind == CONTROL_VENUE_LINK && c->value == 0;
        }
        lossless_take(&w->exec);
    }
    uint64_t buf[MESSAGE_BYTES_MAX / 8];
    err_t    err;
    while ((err = ring_read(&w->md, buf, sizeof buf, &meta)) != ERR_EMPTY) {
        assert_int_equal(err, ERR_OK);
        assert_int_equal(message_read(meta.type, buf, meta.len, &msg), ERR_OK);
        w->md_count++;
        const uint32_t id = *(const uint32_t *)msg.body;
        assert_in_range(id, 11, 18);
        assert_int_equal(meta.topic, id);
        if (msg.type == MSG_FEED_STATE) {
            w->live[id] = false;
            w->broken++;
        } else if (msg.type ==
                   MSG_BOOK_UPDATE) { /* the rule of a book: consecutive, or a snapshot from its first part */
            const book_update_t *b     = msg.body;
            const bool           first = (b->flags & BOOK_FLAG_SNAPSHOT) && (b->flags & BOOK_FLAG_FIRST);
            assert_true(b->ts_recv_ns != 0);
            if (first) {
                w->healed += !w->live[id];
                w->live[id] = true;
            } else if (b->rpt_seq != w->rpt_seq[id] + 1) {
                w->live[id] = false;
                w->gaps++;
            }
            w->rpt_seq[id] = b->rpt_seq;
        }
    }
}

static void step(world_t *w)
{
    uint32_t work;
    w->mono_ns += NS_PER_MS;
    sim_turn(&w->sim, w->mono_ns);
    venue_session_turn(&w->session, T0 + w->mono_ns - w->base_ns, 1u << 16, &work);
    sim_turn(&w->sim, w->mono_ns);
    engine_collect(w);
}

static void steps(world_t *w, uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++) {
        control_beat(w->control, w->mono_ns);
        step(w);
    }
}

static world_t *world_up(void)
{
    world_t *w = world_new();
    connect_both(w);
    steps(w, 200);
    assert_int_equal(w->links_up, 1);
    return w;
}

/* ---- the engine's side of ord ------------------------------------------------------------------------------------- */

static order_req_t new_order(world_t *w, uint32_t epoch, uint64_t n)
{
    return (order_req_t){.cl_ord_id       = cl_ord_id_make(epoch, 0, n),
                         .account_id      = 1,
                         .strategy_id     = 1,
                         .instrument_id   = 11,
                         .px              = 6153000,
                         .qty             = 1000,
                         .created_mono_ns = w->mono_ns,
                         .action          = ORDER_ACTION_NEW,
                         .side            = SIDE_BUY,
                         .ord_type        = ORD_TYPE_LIMIT,
                         .tif             = TIF_GTC};
}

static order_req_t order_change(const order_req_t *of, uint64_t n, order_action_t action, int64_t mono_ns)
{
    order_req_t req     = *of;
    req.orig_cl_ord_id  = of->cl_ord_id;
    req.cl_ord_id       = of->cl_ord_id + (n << 20);
    req.action          = (uint8_t)action;
    req.qty             = 2000;
    req.created_mono_ns = mono_ns;
    return req;
}

static void ord_put(world_t *w, msg_type_t type, const void *body, uint32_t topic)
{
    uint64_t buf[MESSAGE_BYTES_MAX / 8];
    size_t   len;
    assert_int_equal(message_write(&(msg_t){.type = type, .body = body}, buf, sizeof buf, &len), ERR_OK);
    lossless_writer_cursor(&w->ord, &w->ctx.cursors[RING_ID_ORD_SIM]);
    assert_int_equal(
        lossless_put(&w->ord, &(ring_meta_t){.len = (uint32_t)len, .type = (uint16_t)type, .topic = topic}, buf),
        ERR_OK);
}

static const exec_report_t *report_of(const world_t *w, uint64_t id, exec_type_t type)
{
    for (uint32_t i = w->report_count; i-- > 0;) {
        if (w->reports[i].cl_ord_id == id && w->reports[i].exec_type == type) {
            return &w->reports[i];
        }
    }
    return NULL;
}

static uint64_t sim_taken(const world_t *w)
{
    return atomic_load(&w->ctx.cursors[RING_ID_ORD_SIM].taken);
}

/* ---- tests -------------------------------------------------------------------------------------------------------- */

static void test_sim_gives_instruments_ids_and_then_links(void **state)
{
    (void)state;
    world_t *w = world_up();
    assert_int_equal(w->instruments, 8);
    assert_int_equal(w->sessions, 1);
    assert_int_equal(atomic_load(&w->ctx.control->epoch), 1);
    for (uint32_t id = 11; id <= 18; id++) {
        assert_true(w->live[id]);
    }
    const uint64_t before = w->md_count;
    steps(w, 1000);
    assert_in_range(w->md_count - before, 1700, 2300);
    assert_int_equal(w->broken, 0);
    world_free(w);
}

static void test_sim_carries_orders_and_answers(void **state)
{
    (void)state;
    world_t          *w      = world_up();
    const order_req_t req    = new_order(w, 1, 1);
    order_req_t       change = order_change(&req, 1, ORDER_ACTION_REPLACE, w->mono_ns);
    ord_put(w, MSG_ORDER_REQUEST, &req, 0);
    steps(w, 20);
    const exec_report_t *r = report_of(w, req.cl_ord_id, EXEC_TYPE_NEW);
    assert_non_null(r);
    assert_int_equal(r->instrument_id, 11);
    assert_true(r->ts_recv_ns != 0);
    change.created_mono_ns = w->mono_ns;
    ord_put(w, MSG_ORDER_REQUEST, &change, 0);
    steps(w, 20);
    assert_int_equal(report_of(w, req.cl_ord_id, EXEC_TYPE_REPLACED)->order_qty, 2000);
    const order_status_req_t ask = {.cl_ord_id = req.cl_ord_id, .account_id = 1, .instrument_id = 11};
    ord_put(w, MSG_ORDER_STATUS_REQUEST, &ask, 0);
    steps(w, 20);
    assert_int_equal(report_of(w, req.cl_ord_id, EXEC_TYPE_ORDER_STATUS)->order_qty, 2000);
    const mass_status_req_t all = {.request_id = 3, .account_id = 1, .venue_id = 1};
    ord_put(w, MSG_MASS_STATUS_REQUEST, &all, 0);
    steps(w, 20);
    assert_int_equal(w->ends, 1);
    const order_req_t cancel = order_change(&req, 2, ORDER_ACTION_CANCEL, 0); /* old, and no gate for it */
    ord_put(w, MSG_ORDER_REQUEST, &cancel, 0);
    steps(w, 20);
    assert_non_null(report_of(w, req.cl_ord_id, EXEC_TYPE_CANCELED));
    assert_int_equal(w->sim.orders->count, 0);
    const snapshot_req_t snapshot = {.instrument_id = 11, .reason = FEED_REASON_GAP};
    w->live[11]                   = false;
    const uint64_t healed         = w->healed;
    ord_put(w, MSG_SNAPSHOT_REQUEST, &snapshot, 0);
    steps(w, 20);
    assert_int_equal(w->healed, healed + 1);
    world_free(w);
}

static void test_sim_mass_cancel_is_answered_for_each_order(void **state)
{
    (void)state;
    world_t      *w   = world_up();
    mass_cancel_t all = {.request_id = 77, .tenant_id = 1, .account_id = 1, .instrument_id = 11, .venue_id = VENUE_ID};
    for (uint64_t n = 1; n <= 5; n++) { /* the last is another instrument's, the fourth another account's */
        order_req_t req   = new_order(w, 1, n);
        req.account_id    = n == 4 ? 2 : 1;
        req.instrument_id = n == 5 ? 12 : 11;
        req.px            = n == 5 ? 1 : req.px;
        ord_put(w, MSG_ORDER_REQUEST, &req, 0);
    }
    ord_put(w, MSG_MASS_CANCEL, &all, 0); /* it overtakes none of them */
    steps(w, 30);
    for (uint64_t n = 1; n <= 3; n++) {
        assert_non_null(report_of(w, new_order(w, 1, n).cl_ord_id, EXEC_TYPE_NEW));
        assert_non_null(report_of(w, new_order(w, 1, n).cl_ord_id, EXEC_TYPE_CANCELED));
    }
    assert_null(report_of(w, new_order(w, 1, 4).cl_ord_id, EXEC_TYPE_CANCELED));
    assert_null(report_of(w, new_order(w, 1, 5).cl_ord_id, EXEC_TYPE_CANCELED));
    /* without a session: nobody cancels, and the engine is told that it is not known */
    sim_disconnected(&w->sim, "test", w->mono_ns);
    all.account_id = 2;
    ord_put(w, MSG_MASS_CANCEL, &all, 0);
    steps(w, 30);
    connect_both(w);
    steps(w, 200);
    assert_non_null(report_of(w, new_order(w, 1, 4).cl_ord_id, EXEC_TYPE_TIMEOUT));
    assert_int_equal(w->definitions, 2);
    world_free(w);
}

static void refused(world_t *w, uint64_t n, uint32_t code)
{
    const uint64_t    sent = w->sim.link.put;
    const order_req_t req  = new_order(w, 1, n);
    const order_req_t old  = order_change(&req, 1, ORDER_ACTION_REPLACE, w->mono_ns);
    ord_put(w, MSG_ORDER_REQUEST, &req, 0);
    ord_put(w, MSG_ORDER_REQUEST, &old, 0);
    steps(w, 10);
    assert_non_null(report_of(w, req.cl_ord_id, EXEC_TYPE_UNSENT));
    assert_int_equal(report_of(w, req.cl_ord_id, EXEC_TYPE_UNSENT)->reject_code, code);
    assert_int_equal(report_of(w, req.cl_ord_id, EXEC_TYPE_REPLACE_REJECT)->reject_code, code);
    assert_int_equal(w->sim.link.put, sent);
}

static void test_sim_gates(void **state)
{
    (void)state;
    world_t    *w   = world_up();
    order_req_t one = new_order(w, 1, 1);
    ord_put(w, MSG_ORDER_REQUEST, &one, 0);
    steps(w, 20);
    assert_non_null(report_of(w, one.cl_ord_id, EXEC_TYPE_NEW));
    /* older than a second */
    order_req_t late = new_order(w, 1, 2);
    late.created_mono_ns -= NS_PER_S + NS_PER_MS;
    ord_put(w, MSG_ORDER_REQUEST, &late, 0);
    late.cl_ord_id++;
    late.created_mono_ns += 10 * NS_PER_MS; /* just young enough */
    ord_put(w, MSG_ORDER_REQUEST, &late, 0);
    steps(w, 20);
    assert_int_equal(report_of(w, late.cl_ord_id - 1, EXEC_TYPE_UNSENT)->reject_code, RISK_REQUEST_TOO_OLD);
    assert_non_null(report_of(w, late.cl_ord_id, EXEC_TYPE_NEW));
    /* an instrument that the venue does not list */
    order_req_t alien   = new_order(w, 1, 4);
    alien.instrument_id = 30;
    ord_put(w, MSG_ORDER_REQUEST, &alien, 0);
    steps(w, 5);
    assert_int_equal(report_of(w, alien.cl_ord_id, EXEC_TYPE_UNSENT)->reject_code, RISK_UNKNOWN_INSTRUMENT);
    assert_true(words_kill(w->ctx.words, SCOPE_GLOBAL, 0, true));
    refused(w, 5, RISK_KILL_GLOBAL);
    assert_true(words_kill(w->ctx.words, SCOPE_GLOBAL, 0, false));
    atomic_store(&w->ctx.words->stop, 1);
    refused(w, 6, RISK_RECOVERING);
    atomic_store(&w->ctx.words->stop, 0);
    words_fence_raise(w->ctx.words, 2);
    refused(w, 7, RISK_RECOVERING);
    /* cancels pass all of them */
    const order_req_t cancel = order_change(&one, 2, ORDER_ACTION_CANCEL, 0);
    ord_put(w, MSG_ORDER_REQUEST, &cancel, 0);
    steps(w, 20);
    assert_non_null(report_of(w, one.cl_ord_id, EXEC_TYPE_CANCELED));
    world_free(w);
}

static void test_sim_connection_lost(void **state)
{
    (void)state;
    world_t    *w    = world_up();
    order_req_t open = new_order(w, 1, 1), sent = new_order(w, 1, 2), down = new_order(w, 1, 3);
    ord_put(w, MSG_ORDER_REQUEST, &open, 0);
    steps(w, 20);
    /* one whose bytes are with the kernel and whose answer never comes; and a cancel likewise */
    const order_req_t cancel = order_change(&open, 2, ORDER_ACTION_CANCEL, 0);
    sent.created_mono_ns     = w->mono_ns;
    ord_put(w, MSG_ORDER_REQUEST, &sent, 0);
    ord_put(w, MSG_ORDER_REQUEST, &cancel, 0);
    const uint64_t taken = sim_taken(w);
    sim_turn(&w->sim, w->mono_ns);
    assert_int_equal(sim_taken(w), taken + 2);
    assert_int_equal(w->sim.pending_count, 0);
    venue_session_close(&w->session);
    steps(w, 3);
    assert_non_null(report_of(w, sent.cl_ord_id, EXEC_TYPE_TIMEOUT));
    assert_non_null(report_of(w, open.cl_ord_id, EXEC_TYPE_TIMEOUT));
    assert_int_equal(w->links_down, 1);
    assert_int_equal(w->broken, 8);
    /* while it is down */
    const order_req_t later = order_change(&open, 3, ORDER_ACTION_CANCEL, 0);
    down.created_mono_ns    = w->mono_ns;
    ord_put(w, MSG_ORDER_REQUEST, &down, 0);
    ord_put(w, MSG_ORDER_REQUEST, &later, 0);
    const mass_status_req_t all = {.request_id = 3, .account_id = 1, .venue_id = 1};
    ord_put(w, MSG_MASS_STATUS_REQUEST, &all, 0);
    steps(w, 3);
    assert_int_equal(report_of(w, down.cl_ord_id, EXEC_TYPE_UNSENT)->reject_code, RISK_VENUE_DOWN);
    assert_int_equal(report_of(w, open.cl_ord_id, EXEC_TYPE_CANCEL_REJECT)->reject_code, RISK_VENUE_DOWN);
    assert_int_equal(w->statuses, 1);
    assert_int_equal(w->ends, 0);
    /* and again: nothing is sent a second time */
    connect_both(w);
    steps(w, 100);
    assert_int_equal(w->links_up, 2);
    assert_int_equal(venue_open_orders(w->session.venue), 1);
    assert_null(report_of(w, sent.cl_ord_id, EXEC_TYPE_NEW));
    for (uint32_t id = 11; id <= 18; id++) {
        assert_true(w->live[id]);
    }
    world_free(w);
}

static void test_sim_what_never_left_is_unsent(void **state)
{
    (void)state;
    world_t *w = world_up();
    venue_session_close(&w->session); /* the next send fails */
    order_req_t one = new_order(w, 1, 1);
    ord_put(w, MSG_ORDER_REQUEST, &one, 0);
    const order_req_t change = order_change(&one, 1, ORDER_ACTION_REPLACE, w->mono_ns);
    ord_put(w, MSG_ORDER_REQUEST, &change, 0);
    steps(w, 3);
    assert_int_equal(sim_taken(w), 2);
    assert_int_equal(report_of(w, one.cl_ord_id, EXEC_TYPE_UNSENT)->reject_code, RISK_VENUE_DOWN);
    assert_non_null(report_of(w, one.cl_ord_id, EXEC_TYPE_REPLACE_REJECT));
    assert_null(report_of(w, one.cl_ord_id, EXEC_TYPE_TIMEOUT));
    assert_int_equal(w->sim.orders->count, 0);
    world_free(w);
}

/* ---- lives -------------------------------------------------------------------------------------------------------- */

/* As the supervisor starts it: all engines' files are given, the newest one's too. */
static void adapter_restart(world_t *w)
{
    venue_session_close(&w->session);
    sim_close(&w->sim);
    segment_close(&w->ctx.peer_before[ROLE_SIM]);
    w->ctx.peer_before[ROLE_SIM] = w->ctx.own;
    w->ctx.files[0]   = (role_file_t){.fd = dup(w->engine.fd), .kind = ROLE_FILE_OLD_ENGINE, .number = w->gen};
    w->ctx.file_count = 1;
    adapter_start(w);
    engine_reads(w, 0);
}

static void test_sim_restart_sends_nothing_twice(void **state)
{
    (void)state;
    world_t          *w   = world_up();
    const order_req_t one = new_order(w, 1, 1);
    ord_put(w, MSG_ORDER_REQUEST, &one, 0);
    steps(w, 20);
    assert_int_equal(sim_taken(w), 1);
    const order_req_t two = new_order(w, 1, 2);
    ord_put(w, MSG_ORDER_REQUEST, &two, 0); /* not taken by the one that dies */
    adapter_restart(w);
    assert_int_equal(sim_taken(w), 1);
    assert_int_equal(atomic_load(&w->ctx.control->epoch), 1);
    connect_both(w);
    steps(w, 5);
    uint32_t times = 0;
    for (uint32_t i = 0; i < w->report_count; i++) {
        times += w->reports[i].cl_ord_id == one.cl_ord_id && w->reports[i].exec_type != EXEC_TYPE_NEW;
    }
    assert_int_equal(times, 0);
    assert_int_equal(sim_taken(w), 2);
    steps(w, 100);
    assert_int_equal(venue_open_orders(w->session.venue), 1); /* two came before the ids were known again */
    assert_non_null(report_of(w, two.cl_ord_id, EXEC_TYPE_UNSENT));
    assert_null(report_of(w, one.cl_ord_id, EXEC_TYPE_UNSENT)); /* it stands: the ring was not read again */
    assert_int_equal(sim_taken(w), 2);
    assert_int_equal(w->links_up, 2);

    /* one that died before it said where it was: everything written is passed over */
    const order_req_t three = new_order(w, 1, 3);
    ord_put(w, MSG_ORDER_REQUEST, &three, 0);
    atomic_store(&w->ctx.control->epoch, 0);
    adapter_restart(w);
    assert_int_equal(sim_taken(w), 3);
    connect_both(w);
    steps(w, 100);
    assert_int_equal(venue_open_orders(w->session.venue), 1);

    /* one that died between two rings: the new one from its beginning */
    atomic_store(&w->ctx.control->epoch, 1 | SIM_EPOCH_JOINING);
    adapter_restart(w);
    assert_int_equal(sim_taken(w), 0);
    world_free(w);
}

/* One that dies while it joins a ring of which a life before took some, and one whose predecessor's segment is gone. */
static void test_sim_sends_nothing_twice_when_its_place_is_lost(void **state)
{
    (void)state;
    world_t          *w   = world_up();
    const order_req_t one = new_order(w, 1, 1);
    ord_put(w, MSG_ORDER_REQUEST, &one, 0);
    steps(w, 20);
    size_t    bytes;
    uint64_t *magic = object(&w->engine, "ord.sim", SEGMENT_LOSSLESS, &bytes);
    *magic ^= 1; /* the join ends half way */
    adapter_restart(w);
    assert_false(w->sim.joined);
    *magic ^= 1;
    adapter_restart(w);
    assert_int_equal(sim_taken(w), 1);

    venue_session_close(&w->session);
    sim_close(&w->sim);
    segment_close(&w->ctx.own);
    segment_close(&w->ctx.peer_before[ROLE_SIM]);
    adapter_start(w);
    engine_reads(w, 0);
    assert_int_equal(sim_taken(w), 1);
    connect_both(w);
    steps(w, 100);
    assert_int_equal(venue_open_orders(w->session.venue), 1);
    assert_null(report_of(w, one.cl_ord_id, EXEC_TYPE_UNSENT)); /* it stands */
    world_free(w);
}

static void engine_replace(world_t *w, uint32_t epoch)
{
    segment_close(&w->engine);
    words_fence_raise(w->ctx.words, epoch);
    engine_start(w, epoch);
    segment_close(&w->ctx.peer_before[ROLE_ENGINE]);
    w->ctx.peer_before[ROLE_ENGINE] = w->ctx.peer[ROLE_ENGINE];
    w->ctx.peer[ROLE_ENGINE]        = segment_share(&w->engine);
    engine_reads(w, w->exec.next - 1);
}

static void test_sim_new_engine(void **state)
{
    (void)state;
    world_t          *w   = world_up();
    const order_req_t one = new_order(w, 1, 1);
    ord_put(w, MSG_ORDER_REQUEST, &one, 0);
    steps(w, 20);
    /* published, and not taken when the engine dies */
    const order_req_t two    = new_order(w, 1, 2);
    const order_req_t change = order_change(&one, 1, ORDER_ACTION_REPLACE, w->mono_ns);
    const order_req_t cancel = order_change(&one, 2, ORDER_ACTION_CANCEL, w->mono_ns);
    ord_put(w, MSG_ORDER_REQUEST, &two, 0);
    ord_put(w, MSG_ORDER_REQUEST, &change, 0);
    ord_put(w, MSG_ORDER_REQUEST, &cancel, 0);
    engine_replace(w, 2);
    sim_news(&w->sim, ROLE_ENGINE, w->mono_ns);
    w->instruments = 0;
    steps(w, 50);
    assert_int_equal(report_of(w, two.cl_ord_id, EXEC_TYPE_UNSENT)->reject_code, RISK_RECOVERING);
    assert_non_null(report_of(w, one.cl_ord_id, EXEC_TYPE_REPLACE_REJECT));
    assert_non_null(report_of(w, one.cl_ord_id, EXEC_TYPE_CANCELED));
    assert_int_equal(atomic_load(&w->ctx.control->epoch), 2);
    assert_int_equal(sim_taken(w), 0);
    assert_int_equal(w->links_up, 2);
    const order_req_t three = new_order(w, 2, 1);
    ord_put(w, MSG_ORDER_REQUEST, &three, 0);
    steps(w, 20);
    assert_non_null(report_of(w, three.cl_ord_id, EXEC_TYPE_NEW));

    /* both at once: the engine died, then the adapter, and only then a new one of each */
    const order_req_t four = new_order(w, 2, 2);
    ord_put(w, MSG_ORDER_REQUEST, &four, 0);
    engine_replace(w, 3);
    adapter_restart(w);
    connect_both(w);
    steps(w, 100);
    assert_non_null(report_of(w, four.cl_ord_id, EXEC_TYPE_UNSENT));
    assert_int_equal(atomic_load(&w->ctx.control->epoch), 3);
    assert_int_equal(venue_open_orders(w->session.venue), 1);
    assert_int_equal(w->links_up, 3);

    /* two engines in a row while exec has no room: neither ring is skipped */
    const order_req_t five = new_order(w, 3, 1), six = new_order(w, 4, 1);
    ord_put(w, MSG_ORDER_REQUEST, &five, 0);
    engine_replace(w, 4);
    sim_news(&w->sim, ROLE_ENGINE, w->mono_ns);
    ord_put(w, MSG_ORDER_REQUEST, &six, 0);
    engine_replace(w, 5);
    sim_news(&w->sim, ROLE_ENGINE, w->mono_ns);
    steps(w, 50);
    assert_non_null(report_of(w, five.cl_ord_id, EXEC_TYPE_UNSENT));
    assert_non_null(report_of(w, six.cl_ord_id, EXEC_TYPE_UNSENT));
    assert_int_equal(atomic_load(&w->ctx.control->epoch), 5);
    world_free(w);
}

/* ---- silence ------------------------------------------------------------------------------------------------------ */

static void test_sim_cancels_when_the_engine_is_silent(void **state)
{
    (void)state;
    for (uint32_t restart = 0; restart < 2; restart++) {
        world_t *w = world_up();
        for (uint64_t n = 1; n <= 50; n++) {
            const order_req_t req = new_order(w, 1, n);
            ord_put(w, MSG_ORDER_REQUEST, &req, 0);
        }
        steps(w, 30);
        assert_int_equal(venue_open_orders(w->session.venue), 50);
        if (restart) { /* the new life knows of none of them */
            adapter_restart(w);
            connect_both(w);
            steps(w, 20);
        }
        for (uint32_t ms = 0; ms < 4990; ms++) {
            step(w); /* no heartbeat */
        }
        assert_int_equal(venue_open_orders(w->session.venue), 50);
        assert_int_equal(atomic_load(&w->ctx.words->fence_epoch), 0);
        for (uint32_t ms = 0; ms < 60; ms++) {
            step(w);
        }
        assert_int_equal(atomic_load(&w->ctx.words->fence_epoch), 2);
        assert_int_equal(venue_open_orders(w->session.venue), 0);
        assert_non_null(report_of(w, cl_ord_id_make(1, 0, 50), EXEC_TYPE_CANCELED)); /* told, for whoever comes */
        assert_int_equal(w->ends, 0);                                                /* our questions are ours */
        world_free(w);
    }
}

static void test_sim_silence_is_judged_by_state(void **state)
{
    (void)state;
    static const struct {
        role_state_t state;
        uint32_t     quiet_ms, act_ms;
    } rows[] = {{ROLE_RECOVERING, 29000, 31000}, {ROLE_FAIL, 950, 1100}, {ROLE_HALT, 0, 5}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world_t          *w   = world_up();
        const order_req_t req = new_order(w, 1, 1);
        ord_put(w, MSG_ORDER_REQUEST, &req, 0);
        steps(w, 20);
        atomic_store(&w->control->progress, 7);
        control_state(w->control, rows[i].state);
        for (uint32_t ms = 0; ms < rows[i].quiet_ms; ms += 10) {
            w->mono_ns += 9 * NS_PER_MS;
            step(w);
        }
        assert_int_equal(atomic_load(&w->ctx.words->fence_epoch), 0);
        for (uint32_t ms = rows[i].quiet_ms; ms < rows[i].act_ms + 100; ms += 10) {
            w->mono_ns += 9 * NS_PER_MS;
            step(w);
        }
        assert_int_equal(atomic_load(&w->ctx.words->fence_epoch), 2);
        assert_int_equal(venue_open_orders(w->session.venue), 0);
        world_free(w);
    }
}

/* ---- slow sides --------------------------------------------------------------------------------------------------- */

static void test_sim_exec_full_loses_nothing(void **state)
{
    (void)state;
    world_t *w = world_up();
    w->deaf    = true; /* 1,024 slots */
    uint64_t n = 0;
    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 100; i++) { /* each is answered twice: NEW, EXPIRED */
            order_req_t req = new_order(w, 1, ++n);
            req.tif         = TIF_IOC;
            ord_put(w, MSG_ORDER_REQUEST, &req, 0);
        }
        steps(w, 10);
        assert_int_equal(sim_taken(w), n); /* ord is drained all the same */
    }
    words_fence_raise(w->ctx.words, 2);
    for (uint32_t i = 0; i < 100; i++) {
        const order_req_t req = new_order(w, 1, ++n);
        ord_put(w, MSG_ORDER_REQUEST, &req, 0);
    }
    steps(w, 10);
    assert_int_equal(sim_taken(w), n);
    w->deaf = false;
    steps(w, 300);
    for (uint64_t i = 1; i <= 2000; i++) {
        assert_non_null(report_of(w, cl_ord_id_make(1, 0, i), EXEC_TYPE_NEW));
        assert_non_null(report_of(w, cl_ord_id_make(1, 0, i), EXEC_TYPE_EXPIRED));
    }
    for (uint64_t i = 2001; i <= 2100; i++) {
        assert_non_null(report_of(w, cl_ord_id_make(1, 0, i), EXEC_TYPE_UNSENT));
    }
    assert_int_equal(w->links_down, 0);
    world_free(w);
}

static void test_venue_drops_data_for_a_slow_adapter_and_no_report(void **state)
{
    (void)state;
    world_t *w = world_up();
    uint32_t work;
    for (uint64_t n = 1; n <= 200; n++) {
        order_req_t req = new_order(w, 1, n);
        req.tif         = TIF_IOC;
        ord_put(w, MSG_ORDER_REQUEST, &req, 0);
    }
    sim_turn(&w->sim, w->mono_ns);
    for (uint32_t ms = 0; ms < 30000 && w->session.dropped < 1000; ms++) { /* the adapter is stopped */
        w->mono_ns += NS_PER_MS;
        assert_int_equal(venue_session_turn(&w->session, T0 + w->mono_ns - w->base_ns, 1u << 16, &work), ERR_OK);
    }
    assert_true(w->session.dropped >= 1000);
    steps(w, 500);
    for (uint64_t n = 1; n <= 200; n++) {
        assert_non_null(report_of(w, cl_ord_id_make(1, 0, n), EXEC_TYPE_EXPIRED));
    }
    assert_int_equal(w->gaps, 0); /* what was dropped is followed by a snapshot, not by a hole */
    for (uint32_t id = 11; id <= 18; id++) {
        assert_true(w->live[id]);
    }
    world_free(w);
}

/* ---- durability: power -------------------------------------------------------------------------------------------- */

static void test_sim_holds_orders_until_they_are_durable(void **state)
{
    (void)state;
    world_t *w = world_new();
    size_t   bytes;
    sim_close(&w->sim);
    segment_close(&w->ctx.own);
    w->config->journal.durability = DURABILITY_POWER;
    w->journal                    = segment_make(w, ROLE_JOURNAL, 0);
    ring_cursor_t *durable        = object(&w->journal, "durable", SEGMENT_CURSORS, &bytes);
    w->ctx.peer[ROLE_JOURNAL]     = segment_share(&w->journal);
    adapter_start(w);
    engine_reads(w, 0);
    connect_both(w);
    atomic_store(&durable->taken, 0x1fffffff0ull); /* the topic's half wraps */
    steps(w, 200);
    const order_req_t one = new_order(w, 1, 1), two = new_order(w, 1, 2), three = new_order(w, 1, 3);
    ord_put(w, MSG_ORDER_REQUEST, &one, 0xfffffff0u); /* durable */
    steps(w, 20);
    assert_non_null(report_of(w, one.cl_ord_id, EXEC_TYPE_NEW));
    const order_req_t cancel_one = order_change(&one, 1, ORDER_ACTION_CANCEL, 0);
    const order_req_t cancel_two = order_change(&two, 1, ORDER_ACTION_CANCEL, 0);
    ord_put(w, MSG_ORDER_REQUEST, &two, 2);
    ord_put(w, MSG_ORDER_REQUEST, &cancel_two, 3);
    ord_put(w, MSG_ORDER_REQUEST, &cancel_one, 3);
    ord_put(w, MSG_ORDER_REQUEST, &three, 9);
    steps(w, 20);
    assert_non_null(report_of(w, one.cl_ord_id, EXEC_TYPE_CANCELED)); /* never waits */
    assert_null(report_of(w, two.cl_ord_id, EXEC_TYPE_NEW));
    assert_int_equal(sim_taken(w), 5);
    atomic_store(&durable->taken, 0x200000002ull);
    steps(w, 20);
    assert_non_null(report_of(w, two.cl_ord_id, EXEC_TYPE_NEW));
    assert_non_null(report_of(w, two.cl_ord_id, EXEC_TYPE_CANCELED));
    assert_null(report_of(w, three.cl_ord_id, EXEC_TYPE_NEW));
    steps(w, 1000); /* too old by now */
    assert_int_equal(report_of(w, three.cl_ord_id, EXEC_TYPE_UNSENT)->reject_code, RISK_REQUEST_TOO_OLD);
    assert_int_equal(venue_open_orders(w->session.venue), 0);
    /* a journal role that has not said how far the disk is: however large the number */
    const order_req_t four = new_order(w, 1, 4);
    atomic_store(&durable->taken, 0);
    ord_put(w, MSG_ORDER_REQUEST, &four, 0xfffffff0u);
    steps(w, 20);
    assert_null(report_of(w, four.cl_ord_id, EXEC_TYPE_NEW));
    /* the session goes and comes between two turns: what is held is not sent behind the questions of the new one */
    venue_session_close(&w->session);
    sim_disconnected(&w->sim, "test", w->mono_ns);
    connect_both(w);
    const order_status_req_t ask = {.cl_ord_id = four.cl_ord_id, .account_id = 1, .instrument_id = 11};
    ord_put(w, MSG_ORDER_STATUS_REQUEST, &ask, 0);
    atomic_store(&durable->taken, 0x2fffffff0ull);
    steps(w, 50);
    assert_int_equal(report_of(w, four.cl_ord_id, EXEC_TYPE_UNSENT)->reject_code, RISK_VENUE_DOWN);
    assert_int_equal(venue_open_orders(w->session.venue), 0);
    world_free(w);
}

/* ---- hostile bytes ------------------------------------------------------------------------------------------------ */

typedef struct tape { /* both directions of a good session */
    uint8_t bytes[1 << 16];
    size_t  len;
} tape_t;

static void tape_make(tape_t *tape, bool of_adapter)
{
    static uint8_t    in[1 << 16] __attribute__((aligned(8)));
    frame_link_t      link;
    const order_req_t req = {.cl_ord_id = 1, .account_id = 1, .instrument_id = 1, .qty = 1, .action = ORDER_ACTION_NEW};
    const trade_t     trade  = {.instrument_id = 0, .px = 1, .qty = 1};
    const exec_report_t done = {
        .cl_ord_id = 1, .account_id = 1, .exec_type = EXEC_TYPE_NEW, .ord_status = ORD_STATUS_NEW};
    const control_t open = {.kind = CONTROL_SESSION, .scope_type = SCOPE_VENUE, .scope_id = 1, .value = SESSION_OPEN};
    frame_link_open(&link, -1, in, sizeof in, tape->bytes, sizeof tape->bytes);
    for (uint32_t i = 0; i < 3; i++) {
        if (of_adapter) {
            assert_int_equal(frame_link_put(&link, 0, &(msg_t){.type = MSG_ORDER_REQUEST, .body = &req}), ERR_OK);
        } else {
            assert_int_equal(frame_link_put(&link, 0, &(msg_t){.type = MSG_CONTROL, .body = &open}), ERR_OK);
            assert_int_equal(frame_link_put(&link, 0, &(msg_t){.type = MSG_TRADE, .body = &trade}), ERR_OK);
            assert_int_equal(frame_link_put(&link, 0, &(msg_t){.type = MSG_EXEC_REPORT, .body = &done}), ERR_OK);
        }
    }
    tape->len = link.out_end;
}

/* One byte of a good stream changed, at each place: nothing worse than the end of the session; afterwards a good one. */
static void test_sim_survives_malformed_frames(void **state)
{
    (void)state;
    static tape_t tape;
    world_t      *w = world_new();
    tape_make(&tape, false);
    uint32_t ended = 0;
    for (size_t at = 0; at < tape.len; at++) {
        for (uint32_t bit = 0; bit < 8; bit += 3) {
            int fds[2];
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
            sim_connected(&w->sim, fds[1]);
            tape.bytes[at] ^= (uint8_t)(1u << bit);
            assert_int_equal(write(fds[0], tape.bytes, tape.len), (ssize_t)tape.len);
            tape.bytes[at] ^= (uint8_t)(1u << bit);
            w->mono_ns += NS_PER_MS;
            sim_turn(&w->sim, w->mono_ns);
            ended += w->sim.link.fd < 0;
            close(fds[0]);
            w->mono_ns += NS_PER_MS;
            sim_turn(&w->sim, w->mono_ns);
            assert_true(w->sim.link.fd < 0);
            ring_meta_t meta;
            const void *payload;
            while (lossless_peek(&w->exec, &meta, &payload) == ERR_OK) {
                lossless_take(&w->exec);
            }
        }
    }
    assert_true(ended > 100);
    connect_both(w);
    steps(w, 200);
    assert_int_equal(w->sim.link.fd >= 0, 1);
    assert_true(w->links_up >= 1);
    world_free(w);
}

static void test_venue_survives_malformed_frames(void **state)
{
    (void)state;
    static tape_t tape;
    world_t      *w = world_new();
    tape_make(&tape, true);
    uint32_t ended = 0, work;
    for (size_t at = 0; at < tape.len; at++) {
        for (uint32_t bit = 0; bit < 8; bit += 3) {
            int fds[2];
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
            venue_session_open(&w->session, fds[0]);
            tape.bytes[at] ^= (uint8_t)(1u << bit);
            assert_int_equal(write(fds[1], tape.bytes, tape.len), (ssize_t)tape.len);
            tape.bytes[at] ^= (uint8_t)(1u << bit);
            w->mono_ns += NS_PER_MS;
            const err_t err = venue_session_turn(&w->session, T0 + w->mono_ns - w->base_ns, 1000, &work);
            assert_int_equal(err != ERR_OK, !venue_session_is_open(&w->session));
            ended += err != ERR_OK;
            close(fds[1]);
        }
    }
    assert_true(ended > 100);
    connect_both(w);
    steps(w, 200);
    assert_int_equal(w->links_up, 1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sim_gives_instruments_ids_and_then_links),
        cmocka_unit_test(test_sim_carries_orders_and_answers),
        cmocka_unit_test(test_sim_mass_cancel_is_answered_for_each_order),
        cmocka_unit_test(test_sim_gates),
        cmocka_unit_test(test_sim_connection_lost),
        cmocka_unit_test(test_sim_what_never_left_is_unsent),
        cmocka_unit_test(test_sim_restart_sends_nothing_twice),
        cmocka_unit_test(test_sim_sends_nothing_twice_when_its_place_is_lost),
        cmocka_unit_test(test_sim_new_engine),
        cmocka_unit_test(test_sim_cancels_when_the_engine_is_silent),
        cmocka_unit_test(test_sim_silence_is_judged_by_state),
        cmocka_unit_test(test_sim_exec_full_loses_nothing),
        cmocka_unit_test(test_venue_drops_data_for_a_slow_adapter_and_no_report),
        cmocka_unit_test(test_sim_holds_orders_until_they_are_durable),
        cmocka_unit_test(test_sim_survives_malformed_frames),
        cmocka_unit_test(test_venue_survives_malformed_frames),
    };
    return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
