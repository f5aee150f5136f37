#include "tests/lib/house.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/engine/engine_view.h"
#include "ipc/message.h"

#define VENUE 1u
#define START_NS 1700000000000000000LL
#define JOURNAL_EVERY 64u        /* rounds */
#define ROUND_NS (NS_PER_MS / 2) /* engine time that a round takes at least: strategies wait by it */

static void must(err_t err, const char *what)
{
    if (err) {
        fprintf(stderr, "house: %s: %s: %s\n", what, err_str(err), err_msg());
        abort();
    }
}

/* ---- the venue ---------------------------------------------------------------------------------------------------- */
void house_md(house_t *h, const msg_t *msg)
{
    size_t len;
    must(message_write(msg, ring_reserve(&h->md), ring_room(&h->md), &len), "md");
    ring_commit(&h->md, &(ring_meta_t){.len = (uint32_t)len, .type = (uint16_t)msg->type});
    h->md_messages++;
}

void house_exec(house_t *h, const msg_t *msg)
{
    _Alignas(8) uint8_t bytes[MESSAGE_BYTES_MAX];
    size_t              len;
    must(message_write(msg, bytes, sizeof bytes, &len), "exec");
    must(lossless_put(&h->exec, &(ring_meta_t){.len = (uint32_t)len, .type = (uint16_t)msg->type}, bytes), "exec full");
    h->exec_messages++;
}

static void say(house_t *h, msg_type_t type, const void *body)
{
    house_exec(h, &(msg_t){.type = type, .body = body});
}

static void say_control(house_t *h, control_kind_t kind, int64_t value)
{
    say(h, MSG_CONTROL,
        &(control_t){.kind = (uint8_t)kind, .scope_type = SCOPE_VENUE, .scope_id = VENUE, .value = value});
}

static house_order_t *order_of(house_t *h, uint64_t id)
{
    uint32_t at = (uint32_t)((id * 0x9e3779b97f4a7c15ull) >> 40) & (HOUSE_ORDERS - 1);
    while (h->orders[at].req.cl_ord_id && h->orders[at].req.cl_ord_id != id) {
        at = (at + 1) & (HOUSE_ORDERS - 1);
    }
    return &h->orders[at];
}

static void reports_out(house_t *h)
{
    for (uint32_t i = 0; i < h->reports.count; i++) {
        const exec_report_t *r = &h->reports.reports[i];
        house_order_t       *o = order_of(h, r->cl_ord_id);
        switch ((exec_type_t)r->exec_type) {
        case EXEC_TYPE_NEW: o->status = ORD_STATUS_NEW; break;
        case EXEC_TYPE_TRADE:
            o->cum_qty += r->last_qty;
            o->status = o->cum_qty >= o->req.qty ? ORD_STATUS_FILLED : ORD_STATUS_PARTIALLY_FILLED;
            h->position[o->req.account_id][o->req.instrument_id] +=
                o->req.side == SIDE_BUY ? r->last_qty : -r->last_qty;
            break;
        case EXEC_TYPE_REPLACED:
            o->req.qty = r->order_qty;
            o->req.px  = r->px;
            break;
        case EXEC_TYPE_CANCELED: o->status = ORD_STATUS_CANCELED; break;
        case EXEC_TYPE_EXPIRED: o->status = ORD_STATUS_EXPIRED; break;
        case EXEC_TYPE_REJECTED: o->status = ORD_STATUS_REJECTED; break;
        default: break;
        }
        say(h, MSG_EXEC_REPORT, r);
    }
    h->reports.count = 0;
}

/* Received now: the engine goes by the age of what it hears. */
static void market_out(house_t *h)
{
    msg_t msg;
    while (flow_md_next(h->flow, &msg)) {
        union {
            book_update_t book;
            trade_t       trade;
            top_t         top;
        } body;
        memcpy(&body, msg.body, msg_body_size(msg.type));
        switch (msg.type) {
        case MSG_BOOK_UPDATE: body.book.ts_recv_ns = role_utc_ns(); break;
        case MSG_TRADE: body.trade.ts_recv_ns = role_utc_ns(); break;
        default: body.top.ts_recv_ns = role_utc_ns(); break;
        }
        msg.body = &body;
        house_md(h, &msg);
    }
    reports_out(h);
}

void house_market(house_t *h, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        must(flow_step(h->flow, flow_due_ns(h->flow), &h->reports), "flow_step");
        market_out(h);
    }
}

static void answer_order(house_t *h, const order_status_req_t *q)
{
    const house_order_t *o      = order_of(h, q->cl_ord_id);
    exec_report_t        report = {.cl_ord_id     = q->cl_ord_id,
                                   .account_id    = q->account_id,
                                   .instrument_id = q->instrument_id,
                                   .exec_type     = EXEC_TYPE_ORDER_STATUS,
                                   .ord_status    = ORD_STATUS_NONE};
    if (o->req.cl_ord_id) {
        const bool open   = o->status == ORD_STATUS_NEW || o->status == ORD_STATUS_PARTIALLY_FILLED;
        report.side       = o->req.side;
        report.ord_status = o->status;
        report.cum_qty    = o->cum_qty;
        report.leaves_qty = open ? o->req.qty - o->cum_qty : 0;
        report.order_qty  = o->req.qty;
        report.px         = o->req.px;
    }
    say(h, MSG_EXEC_REPORT, &report);
}

static void answer_account(house_t *h, const mass_status_req_t *q)
{
    mass_status_t s = {.request_id = q->request_id, .account_id = q->account_id, .venue_id = q->venue_id};
    for (uint32_t id = 1; id <= FLOW_INSTRUMENTS; id++) {
        s.kind          = MASS_STATUS_POSITION;
        s.instrument_id = id;
        s.qty           = h->position[q->account_id][id];
        say(h, MSG_MASS_STATUS, &s);
    }
    s.kind          = MASS_STATUS_END;
    s.instrument_id = 0;
    s.qty           = 0;
    say(h, MSG_MASS_STATUS, &s);
}

static void order_send(house_t *h, const order_req_t *req)
{
    assert(h->taken_count < HOUSE_TAKEN_MAX);
    h->taken[h->taken_count++] = req->cl_ord_id;
    if (req->action == ORDER_ACTION_NEW) {
        house_order_t *o = order_of(h, req->cl_ord_id);
        assert(!o->req.cl_ord_id);
        *o = (house_order_t){.req = *req, .status = ORD_STATUS_PENDING_NEW};
    }
    must(flow_request(h->flow, req, flow_now_ns(h->flow), &h->reports), "flow_request");
    market_out(h);
}

/* Published in a life that ended, and never taken: (e) */
static void refuse(house_t *h, const order_req_t *req)
{
    const bool    is_new = req->action == ORDER_ACTION_NEW;
    exec_report_t r      = {.cl_ord_id     = is_new ? req->cl_ord_id : req->orig_cl_ord_id,
                            .account_id    = req->account_id,
                            .strategy_id   = req->strategy_id,
                            .instrument_id = req->instrument_id,
                            .side          = req->side,
                            .cum_qty       = -1,
                            .leaves_qty    = -1,
                            .exec_type     = is_new ? EXEC_TYPE_UNSENT : EXEC_TYPE_REPLACE_REJECT,
                            .reject_code   = RISK_RECOVERING};
    h->refused++;
    say(h, MSG_EXEC_REPORT, &r);
}

static void ord_take(house_t *h, bool old_life)
{
    ring_meta_t meta;
    const void *payload;
    msg_t       msg;
    while (lossless_peek(&h->ord, &meta, &payload) == ERR_OK) {
        must(message_read((msg_type_t)meta.type, payload, meta.len, &msg), "ord");
        lossless_take(&h->ord); /* before the first byte leaves; the view stays good: nobody writes meanwhile */
        if (msg.type == MSG_ORDER_REQUEST) {
            const order_req_t *req = msg.body;
            if (old_life && req->action != ORDER_ACTION_CANCEL) {
                refuse(h, req);
            } else {
                order_send(h, req);
            }
        } else if (msg.type == MSG_ORDER_STATUS_REQUEST) {
            answer_order(h, msg.body);
        } else if (msg.type == MSG_MASS_STATUS_REQUEST) {
            answer_account(h, msg.body);
        } else {
            must(flow_snapshot(h->flow, ((const snapshot_req_t *)msg.body)->instrument_id - 1), "flow_snapshot");
            market_out(h);
        }
    }
}

void house_venue(house_t *h)
{
    ord_take(h, false);
}

/* ---- the journal --------------------------------------------------------------------------------------------------- */
static void write_at(int fd, const void *bytes, size_t len, uint64_t at)
{
    if (pwrite(fd, bytes, len, (off_t)at) != (ssize_t)len) {
        perror("house: journal");
        abort();
    }
}

static void block_out(house_t *h, journal_block_t *block)
{
    const uint64_t at  = h->pos.offset;
    const uint32_t len = journal_block_seal(block, &h->pos, 0);
    write_at(h->journal_fd, h->block, len, at);
    journal_block_begin(block, h->block, &h->pos);
}

void house_journal(house_t *h)
{
    journal_block_t block;
    ring_meta_t     meta;
    const void     *payload;
    uint32_t        n = 0;
    journal_block_begin(&block, h->block, &h->pos);
    while (lossless_peek_at(&h->jrn, n, &meta, &payload) == ERR_OK) {
        if (journal_block_add(&block, payload, meta.len) == ERR_FULL) {
            block_out(h, &block);
            must(journal_block_add(&block, payload, meta.len), "journal_block_add");
        }
        n++;
    }
    if (block.count) {
        block_out(h, &block);
    }
    lossless_take_n(&h->jrn, n);
    control_page_t *page = segment_find(&h->journal, "control", SEGMENT_CONTROL, &(size_t){0});
    control_beat(page, role_mono_ns());
}

static void journal_begin(house_t *h)
{
    char                          path[128];
    _Alignas(4096) static uint8_t head[JOURNAL_BLOCK_BYTES];
    h->block = aligned_alloc(4096, JOURNAL_BLOCK_MAX);
    journal_pos_first(&h->pos, &h->id);
    const journal_file_t file = {.id = h->id, .pos = h->pos, .bytes = HOUSE_JOURNAL_BYTES, .build_id = "house"};
    snprintf(path, sizeof path, "%s/000001.hj", h->dir);
    h->journal_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert(h->journal_fd >= 0);
    assert(ftruncate(h->journal_fd, HOUSE_JOURNAL_BYTES) == 0);
    journal_file_head(head, &file);
    write_at(h->journal_fd, head, sizeof head, 0);
    snprintf(path, sizeof path, "%s/snapshot.%020d", h->dir, 0);
    h->snapshot_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(engine_genesis(h->config, NULL, 0, &h->id, h->snapshot_fd), "engine_genesis");
}

/* ---- lives --------------------------------------------------------------------------------------------------------- */
static void segment_of(house_t *h, role_t role, segment_t *out)
{
    must(topology_segment(role, h->config, 0, h->dir_fd, h->epoch, ++h->gen, out), "topology_segment");
    must(segment_publish(out, h->dir_fd), "segment_publish");
    char name[64];
    snprintf(name, sizeof name, "%s.%u", topology_role_name(role), h->gen);
    assert(unlinkat(h->dir_fd, name, 0) == 0); /* handed on by its descriptor, and gone with it */
}

static ring_cursor_t *cursors_of(segment_t *s)
{
    return segment_find(s, "cursors", SEGMENT_CURSORS, &(size_t){0});
}

static void sim_begin(house_t *h)
{
    size_t bytes;
    segment_of(h, ROLE_SIM, &h->sim);
    void *md = segment_find(&h->sim, "md", SEGMENT_BROADCAST, &bytes);
    must(ring_writer_join(&h->md, md, bytes), "md");
    void *exec = segment_find(&h->sim, "exec", SEGMENT_LOSSLESS, &bytes);
    must(lossless_writer_join(&h->exec, exec, bytes), "exec");
    for (uint32_t i = 0; i < FLOW_INSTRUMENTS; i++) {
        const instrument_t *ins = flow_instrument(h->flow, i);
        instrument_def_t    def = ins->def;
        def.instrument_id       = 0;
        house_exec(h, &(msg_t){.type       = MSG_INSTRUMENT_DEF,
                               .body       = &def,
                               .tail       = ins->bands,
                               .tail_count = ins->band_count,
                               .text       = ins->symbol});
    }
}

static char            nobody[] = "", names[][8] = {"desk", "keeper", "quiz"};
static config_client_t clients[] = {
    {names[0], nobody, 2 + 4 + 8 + 16, LANE_RIGHT_CHECK | LANE_RIGHT_ORDER, 100, 250, LANE_CANCEL},
    {names[1], nobody, 2 + 4 + 8 + 16, LANE_RIGHT_CHECK | LANE_RIGHT_ORDER, HOUSE_KEEPER_ORDERS, 250, LANE_KEEP},
    {names[2], nobody, 2, LANE_RIGHT_CHECK, 100, 250, LANE_CANCEL},
};

house_t *house_open(uint64_t seed)
{
    char     path[160];
    house_t *h = calloc(1, sizeof *h);
    h->e       = aligned_alloc(128, (sizeof *h->e + 127) & ~(size_t)127);
    h->ctx     = calloc(1, sizeof *h->ctx);
    h->orders  = calloc(HOUSE_ORDERS, sizeof *h->orders);
    h->words   = aligned_alloc(128, (sizeof *h->words + 127) & ~(size_t)127);
    memset(h->words, 0, sizeof *h->words);
    snprintf(h->dir, sizeof h->dir, "/dev/shm/hwal-house-XXXXXX");
    assert(mkdtemp(h->dir));
    snprintf(path, sizeof path, "%s/shm", h->dir);
    assert(mkdir(path, 0700) == 0);
    setenv("HWAL_SHM", path, 1);
    must(config_load("configs/demo.yaml", &h->config), "configs/demo.yaml");
    h->config->rings             = (config_rings_t){.md = 4096, .exec = 4096, .ord = 4096, .jrn = 8192, .ev = 1024};
    h->config->engine.orders_max = 4096;
    h->config->engine.book_far_levels = 4096;
    h->config->engine.mbo_books       = 1;
    h->config->engine.mbo_orders      = 256;
    h->config->engine.mbo_levels      = 64;
    h->configured                     = h->config->lanes;
    h->config->lanes                  = (config_lanes_t){
                         .slots = HOUSE_LANE_SLOTS, .clients = clients, .clients_count = sizeof clients / sizeof clients[0]};
    h->id = (journal_id_t){
        .session = 0x1234 + seed, .config_hash = config_hash(h->config), .core_version = ENGINE_CORE_VERSION};
    must(segment_dir_open(getuid(), h->config->instance, true, &h->dir_fd), "segment_dir_open");
    const flow_cfg_t cfg = {.seed             = seed,
                            .session          = 1,
                            .start_ns         = START_NS,
                            .gap_mean_ns      = 400 * NS_PER_US,
                            .instrument_count = FLOW_INSTRUMENTS,
                            .own_max          = 4096,
                            .venue_id         = VENUE};
    h->flow              = flow_new(aligned_alloc(4096, (flow_footprint(&cfg) + 4095) & ~(size_t)4095), &cfg);
    assert(h->flow);
    h->report_mem = calloc(4 * FLOW_REPORTS_MAX, sizeof *h->report_mem);
    h->reports    = (exec_out_t){.reports = h->report_mem, .cap = 4 * FLOW_REPORTS_MAX};
    h->gen        = 1024;
    journal_begin(h);
    segment_of(h, ROLE_JOURNAL, &h->journal);
    sim_begin(h);
    house_market(h, FLOW_INSTRUMENTS); /* the snapshots: no order is taken before them */
    return h;
}

void house_close(house_t *h)
{
    char command[160];
    if (h->ctx->own.head) {
        house_crash(h);
    }
    segment_close(&h->engine_before);
    segment_close(&h->sim_before);
    segment_close(&h->sim);
    segment_close(&h->journal);
    close(h->snapshot_fd);
    close(h->journal_fd);
    close(h->dir_fd);
    snprintf(command, sizeof command, "rm -rf %s", h->dir);
    assert(system(command) == 0);
    h->config->lanes = h->configured; /* what it allocated */
    config_free(h->config);
    free(h->flow);
    free(h->report_mem);
    free(h->block);
    free(h->orders);
    free(h->words);
    free(h->ctx);
    free(h->e);
    free(h);
}

static void file_give(role_ctx_t *ctx, int fd, role_file_kind_t kind, uint64_t number)
{
    ctx->files[ctx->file_count++] = (role_file_t){.fd = dup(fd), .kind = kind, .number = number};
}

static void links_say(house_t *h)
{
    say_control(h, CONTROL_SESSION, SESSION_OPEN);
    say_control(h, CONTROL_VENUE_LINK, 1);
}

void house_sim_restart(house_t *h)
{
    segment_close(&h->sim_before);
    h->sim_before = h->sim;
    sim_begin(h);
    ring_cursor_t *cursor = &cursors_of(&h->sim)[RING_ID_ORD_SIM];
    atomic_store(&cursor->taken, h->ord.next - 1);
    h->ord.cursor = cursor;
    for (uint32_t i = 0; i < FLOW_INSTRUMENTS; i++) {
        must(flow_snapshot(h->flow, i), "flow_snapshot");
        market_out(h);
    }
    if (!h->ctx->own.head) {
        return; /* no engine lives: the next one reads both lives of ours */
    }
    engine_feed_t feed = {.gen = h->sim.head->gen};
    feed.md            = segment_find(&h->sim, "md", SEGMENT_BROADCAST, &feed.md_bytes);
    feed.exec          = segment_find(&h->sim, "exec", SEGMENT_LOSSLESS, &feed.exec_bytes);
    must(engine_source_join(&h->e->loop, &h->e->loop.sources[0], &feed), "engine_source_join");
    lossless_writer_cursor(&h->e->loop.ord, cursor);
    lossless_writer_cursor(&h->exec, &h->ctx->cursors[RING_ID_EXEC_SIM]);
    links_say(h);
}

err_t house_boot(house_t *h, bool orders_known)
{
    role_ctx_t *ctx   = h->ctx;
    size_t      bytes = 0;
    *ctx              = (role_ctx_t){.role = ROLE_ENGINE, .config = h->config, .session = h->id.session, .ctl_fd = -1};
    ctx->epoch        = ++h->epoch;
    for (uint32_t i = 0; i < ROLE_COUNT; i++) {
        ctx->fifo[i] = -1;
    }
    words_fence_raise(h->words, ctx->epoch);
    segment_of(h, ROLE_ENGINE, &ctx->own);
    ctx->gen           = h->gen;
    ctx->words_segment = (segment_t){.fd = -1};
    ctx->control       = segment_find(&ctx->own, "control", SEGMENT_CONTROL, &bytes);
    ctx->counters      = segment_find(&ctx->own, "counters", SEGMENT_COUNTERS, &bytes);
    ctx->cursors       = segment_find(&ctx->own, "cursors", SEGMENT_CURSORS, &bytes);
    void *log          = segment_find(&ctx->own, "log", SEGMENT_BROADCAST, &bytes);
    must(ring_writer_join(&ctx->log.ring, log, bytes), "log");
    ctx->words                 = h->words;
    ctx->peer[ROLE_SIM]        = h->sim;
    ctx->peer[ROLE_JOURNAL]    = h->journal;
    ctx->peer_before[ROLE_SIM] = h->sim_before;
    file_give(ctx, h->snapshot_fd, ROLE_FILE_SNAPSHOT, 0);
    if (h->newer_fd) {
        file_give(ctx, h->newer_fd, ROLE_FILE_SNAPSHOT, 1);
    }
    file_give(ctx, h->journal_fd, ROLE_FILE_JOURNAL, 1);
    if (h->engine_before.head && orders_known) {
        file_give(ctx, h->engine_before.fd, ROLE_FILE_OLD_ENGINE, h->gen);
    }
    /* the roles around take the new rings, as they do at its news */
    control_page_t *journal = segment_find(&h->journal, "control", SEGMENT_CONTROL, &bytes);
    control_state(journal, ROLE_RUN);
    control_beat(journal, role_mono_ns());
    void *jrn = segment_find(&ctx->own, "jrn", SEGMENT_LOSSLESS, &bytes);
    must(lossless_reader_join(&h->jrn, jrn, bytes, &cursors_of(&h->journal)[RING_ID_JRN], 0), "jrn");
    const err_t err = engine_open(h->e, ctx);
    if (err) {
        return err;
    }
    if (h->engine_before.head && orders_known) {
        ord_take(h, true);
    }
    void *ord = segment_find(&ctx->own, "ord.sim", SEGMENT_LOSSLESS, &bytes);
    must(lossless_reader_join(&h->ord, ord, bytes, &cursors_of(&h->sim)[RING_ID_ORD_SIM], 0), "ord");
    lossless_writer_cursor(&h->exec, &ctx->cursors[RING_ID_EXEC_SIM]);
    links_say(h);
    return engine_begin(h->e);
}

void house_crash(house_t *h)
{
    house_journal(h);
    segment_close(&h->engine_before);
    h->engine_before = h->ctx->own;
    for (uint32_t i = 0; i < h->ctx->file_count; i++) {
        if (h->ctx->files[i].fd >= 0) {
            close(h->ctx->files[i].fd);
        }
    }
    engine_close(h->e);
    *h->ctx = (role_ctx_t){0};
}

err_t house_lease(house_t *h, uint32_t lane_id, lane_client_t *client)
{
    int            cmd, rsp, link[2];
    const uint64_t number = (uint64_t)h->epoch << 40 | ++h->leases << 8 | lane_id;
    must(lane_make(HOUSE_LANE_SLOTS, &cmd, &rsp), "lane_make");
    assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) == 0);
    engine_lanes_lease(&h->e->loop, number, dup(cmd), dup(rsp), link[0]);
    return lane_join(client, cmd, rsp, link[1]);
}

uint32_t house_turn(house_t *h)
{
    control_page_t *journal = segment_find(&h->journal, "control", SEGMENT_CONTROL, &(size_t){0});
    control_beat(journal, role_mono_ns());
    return engine_turn(&h->e->loop, role_mono_ns());
}

void house_pump(house_t *h, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        house_market(h, 1);
        h->e->loop.mono_offset_ns += ROUND_NS;
        house_turn(h);
        house_venue(h);
        if (i % JOURNAL_EVERY == 0) {
            house_journal(h);
        }
    }
    while (house_turn(h)) {
        house_venue(h);
        house_journal(h);
    }
}

bool house_trades(const house_t *h)
{
    account_record_t a;
    bool             all = true;
    for (uint32_t id = 1; engine_account_record(h->e->loop.engine, id, &a); id++) {
        all &= a.state_code == 0;
    }
    return all;
}

uint64_t house_reference(house_t *h, uint64_t *sequence)
{
    snapshot_info_t   info;
    journal_reader_t *reader;
    journal_entry_t   entry;
    must(snapshot_head(h->snapshot_fd, &info), "snapshot_head");
    void *arena  = aligned_alloc(4096, (info.arena_bytes + 4095) & ~(size_t)4095);
    void *handle = aligned_alloc(64, (engine_handle_size() + 63) & ~(size_t)63);
    memset(arena, 0, info.arena_bytes);
    must(snapshot_load(h->snapshot_fd, &info, arena), "snapshot_load");
    engine_t    *engine = engine_join(handle, arena);
    engine_out_t out    = {.buf = aligned_alloc(64, ENGINE_OUT_MAX), .cap = ENGINE_OUT_MAX};
    *sequence           = 0;
    must(journal_open_dir(h->dir, &h->id, &reader), "journal_open_dir");
    while (journal_next(reader, &entry) == ERR_OK) {
        if (entry.record.head.kind == RECORD_INPUT) {
            engine_apply(engine, entry.record.now, &entry.record.msg, &out);
            ++*sequence;
        }
    }
    const uint64_t hash = engine_state_hash(engine);
    journal_close(reader);
    free(arena);
    free(handle);
    free(out.buf);
    return hash;
}
