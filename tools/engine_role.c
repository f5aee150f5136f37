#include "tools/engine_role.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/engine/engine_view.h"

#define HOUSEKEEP_NS NS_PER_MS
#define IDLE_SPIN_NS (20 * NS_PER_US) /* of empty turns before it sleeps: two cores serve everybody */
#define CARE_NS NS_PER_MS             /* how long it sleeps while a ring is short of room: nobody rings for room */
#define PEER_SILENT_NS (200 * NS_PER_MS)
#define NEWS_MAX 16u

/* ---- birth -------------------------------------------------------------------------------------------------------- */
static err_t setup_of(setup_t *setup, const config_t *config, char *const *strategies, uint32_t count,
                      engine_cfg_t *cfg)
{
    err_t err = setup_begin(setup, config);
    err       = err ? err : setup_live(setup);
    return err ? err : setup_engine_cfg(setup, (uint32_t)config->engine.instruments_max, strategies, count, cfg);
}

err_t engine_genesis(const config_t *config, char *const *strategies, uint32_t count, const journal_id_t *id, int fd)
{
    static setup_t       setup;
    static engine_cfg_t  cfg;
    _Alignas(64) uint8_t handle[4096];
    err_t                err   = setup_of(&setup, config, strategies, count, &cfg);
    const size_t         bytes = err ? 0 : engine_footprint(&cfg);
    if (err || !bytes) {
        return err_wrap(err ? err : ERR_CONFIG, "engine");
    }
    void *arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED) {
        return err_set(ERR_LIMIT, "engine: no memory for an arena of %zu bytes", bytes);
    }
    const engine_t *engine = NULL;
    if (engine_handle_size() <= sizeof handle && engine_new(arena, &cfg)) {
        engine = engine_join(handle, arena);
    }
    if (engine) {
        const snapshot_info_t info = {.id          = *id,
                                      .output_hash = engine_output_hash(engine),
                                      .state_hash  = engine_state_hash(engine),
                                      .arena_bytes = bytes};
        err                        = snapshot_write(fd, &info, arena);
    } else {
        err = err_wrap(ERR_CONFIG, "engine");
    }
    munmap(arena, bytes);
    return err;
}

/* ---- joining ------------------------------------------------------------------------------------------------------ */
static err_t find(const segment_t *segment, const char *name, segment_kind_t kind, void **out, size_t *bytes)
{
    *out = segment_find(segment, name, kind, bytes);
    return *out ? ERR_OK : err_set(ERR_NOT_FOUND, "segment of %s: no object %s", segment->head->role, name);
}

static err_t own_join(engine_role_t *e)
{
    role_ctx_t    *ctx = e->ctx;
    engine_loop_t *l   = &e->loop;
    void          *at  = NULL;
    size_t         bytes;
    err_t          err = find(&ctx->own, topology_ring(RING_ID_JRN)->object, SEGMENT_LOSSLESS, &at, &bytes);
    err                = err ? err : lossless_writer_join(&l->jrn, at, bytes);
    err       = err ? err : find(&ctx->own, topology_ring(RING_ID_ORD_SIM)->object, SEGMENT_LOSSLESS, &at, &bytes);
    err       = err ? err : lossless_writer_join(&l->ord, at, bytes);
    err       = err ? err : find(&ctx->own, "event", SEGMENT_HISTOGRAM, &at, &bytes);
    l->event  = at;
    err       = err ? err : find(&ctx->own, "decide", SEGMENT_HISTOGRAM, &at, &bytes);
    l->decide = at;
    err       = err ? err : find(&ctx->own, "lane", SEGMENT_HISTOGRAM, &at, &bytes);
    l->lanes.latency = at;
    err              = err ? err : find(&ctx->own, "lanes", SEGMENT_BLOB, &at, &bytes);
    l->lanes.page    = at;
    err              = err ? err : find(&ctx->own, "clock", SEGMENT_BLOB, &at, &bytes);
    e->clock         = at;
    l->config        = ctx->config;
    l->setup         = &e->setup;
    l->words         = ctx->words;
    l->control       = ctx->control;
    l->counters      = ctx->counters;
    l->log           = &ctx->log;
    l->epoch         = ctx->epoch;
    memcpy(l->fifo, ctx->fifo, sizeof l->fifo);
    if (!err) {
        engine_lanes_begin(&l->lanes, ctx->config);
    }
    return err;
}

/* How far a peer is in one of our rings; NULL = it has no segment. */
static const ring_cursor_t *cursor_of(const segment_t *peer, ring_id_t id)
{
    const ring_cursor_t *cursors = segment_part(peer, "cursors", SEGMENT_CURSORS, RING_ID_COUNT * sizeof *cursors);
    return cursors ? &cursors[id] : NULL;
}

static err_t feed_of(const engine_role_t *e, const segment_t *peer, engine_feed_t *out)
{
    void *md = NULL, *exec = NULL;
    *out      = (engine_feed_t){.gen = peer->gen};
    err_t err = find(peer, "md", SEGMENT_BROADCAST, &md, &out->md_bytes);
    err       = err ? err : find(peer, "exec", SEGMENT_LOSSLESS, &exec, &out->exec_bytes);
    out->md   = md;
    out->exec = exec;
    if (e->recover.engine) {
        out->md_seq   = recover_position(&e->recover, RECORD_SOURCE_MD, out->gen);
        out->exec_seq = recover_position(&e->recover, RECORD_SOURCE_EXEC, out->gen);
    }
    return err;
}

static err_t source_join(engine_role_t *e, engine_source_t *s, const segment_t *peer)
{
    engine_feed_t feed;
    err_t         err = feed_of(e, peer, &feed);
    err               = err ? err : engine_source_join(&e->loop, s, &feed);
    return err ? err_wrap(err, "%s", topology_role_name(s->role)) : ERR_OK;
}

/* Where the last life stopped reading: in the rings of the adapter's newest life, or in those before it. */
static err_t sources_join(engine_role_t *e)
{
    static const struct {
        role_t    role;
        ring_id_t md, exec;
    } rows[ENGINE_SOURCES_MAX] = {{ROLE_SIM, RING_ID_MD_SIM, RING_ID_EXEC_SIM},
                                  {ROLE_CAPTURE, RING_ID_MD_CAPTURE, RING_ID_EXEC_CAPTURE}};
    role_ctx_t *ctx            = e->ctx;
    err_t       err            = ERR_OK;
    for (uint32_t i = 0; !err && i < ENGINE_SOURCES_MAX; i++) {
        engine_source_t *s      = &e->loop.sources[i];
        const segment_t *newest = &ctx->peer[rows[i].role], *before = &ctx->peer_before[rows[i].role];
        *s = (engine_source_t){
            .role = rows[i].role, .md_cursor = &ctx->cursors[rows[i].md], .exec_cursor = &ctx->cursors[rows[i].exec]};
        e->loop.source_count = i + 1;
        if (newest->head && before->head && !recover_knows(&e->recover, newest->gen)) {
            err = source_join(e, s, before);
        }
        if (!err && newest->head) {
            err = source_join(e, s, newest);
        }
    }
    return err;
}

static void journal_join(engine_role_t *e)
{
    const segment_t *peer = &e->ctx->peer[ROLE_JOURNAL];
    e->loop.journal       = segment_part(peer, "control", SEGMENT_CONTROL, sizeof *e->loop.journal);
    lossless_writer_cursor(&e->loop.jrn, cursor_of(peer, RING_ID_JRN));
}

static void venue_join(engine_role_t *e)
{
    lossless_writer_cursor(&e->loop.ord, cursor_of(&e->ctx->peer[ROLE_SIM], RING_ID_ORD_SIM));
}

/* ---- recovery ----------------------------------------------------------------------------------------------------- */
static void id_of(const role_ctx_t *ctx, journal_id_t *out)
{
    *out = (journal_id_t){
        .session = ctx->session, .config_hash = config_hash(ctx->config), .core_version = ENGINE_CORE_VERSION};
}

/* NULL and ERR_OK: nothing was ever journaled. */
static err_t journal_of(const role_ctx_t *ctx, const journal_id_t *id, journal_reader_t **out)
{
    int      fds[ROLE_FILES_MAX];
    uint64_t numbers[ROLE_FILES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < ctx->file_count; i++) {
        if (ctx->files[i].kind == ROLE_FILE_JOURNAL && ctx->files[i].fd >= 0) {
            fds[count]       = ctx->files[i].fd;
            numbers[count++] = ctx->files[i].number;
        }
    }
    *out            = NULL;
    const err_t err = count ? journal_open(fds, numbers, count, id, out) : ERR_NOT_FOUND;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static err_t journal_end_of(const role_ctx_t *ctx, const journal_id_t *id, uint64_t *record, const char **note)
{
    static journal_end_t end;
    journal_reader_t    *reader;
    err_t                err = journal_of(ctx, id, &reader);
    *record                  = 0;
    *note                    = "";
    if (!err && reader) {
        err     = journal_scan_end(reader, true, &end);
        *record = end.pos.record;
        *note   = end.note;
    }
    journal_close(reader);
    return err;
}

/* The newest snapshot that the journal reaches (a newer one would leave a hole behind it) and that is whole: a damaged
 * one is named and passed over for the one before, with a longer replay. */
static err_t snapshot_take(engine_role_t *e, const journal_id_t *id, uint64_t journal_record)
{
    role_ctx_t *ctx   = e->ctx;
    uint64_t    tried = UINT64_MAX, newer = 0;
    err_t       last = err_set(ERR_NOT_FOUND, "no snapshot was given");
    for (;;) {
        const role_file_t *best    = NULL;
        uint64_t           highest = 0;
        for (uint32_t i = 0; i < ctx->file_count; i++) {
            snapshot_info_t info;
            if (ctx->files[i].kind != ROLE_FILE_SNAPSHOT || ctx->files[i].fd < 0 ||
                snapshot_head(ctx->files[i].fd, &info) != ERR_OK) {
                continue;
            }
            if (info.record > journal_record) {
                newer = info.record;
            } else if (info.record < tried && (!best || info.record > highest)) {
                best    = &ctx->files[i];
                highest = info.record;
            }
        }
        if (!best) {
            break;
        }
        last = recover_open(&e->recover, best->fd, id);
        if (last == ERR_OK) {
            return ERR_OK;
        }
        log_write(&ctx->log, LOG_ERROR, "snapshot behind record %" PRIu64 " is of no use: %s", highest, err_msg());
        tried = highest;
    }
    if (tried == UINT64_MAX && newer) {
        return err_set(ERR_GAP, "the snapshot stands behind record %" PRIu64 ", the journal ends at %" PRIu64, newer,
                       journal_record);
    }
    return tried == UINT64_MAX ? err_set(ERR_NOT_FOUND, "no snapshot was given that can be read") : last;
}

/* The ord ring of the last life that journaled anything: a life that died before its BOOT sent nothing. */
static void old_ord(engine_role_t *e)
{
    role_ctx_t *ctx  = e->ctx;
    uint32_t    best = 0;
    for (uint32_t i = 0; i < ctx->file_count; i++) {
        role_file_t *file = &ctx->files[i];
        segment_t    old;
        if (file->kind != ROLE_FILE_OLD_ENGINE || file->fd < 0) {
            continue;
        }
        const int fd = file->fd;
        file->fd     = -1;
        if (segment_open_fd(fd, getuid(), false, &old) != ERR_OK) {
            log_write(&ctx->log, LOG_WARN, "segment of the life before cannot be used: %s", err_msg());
            continue;
        }
        size_t      jrn_bytes = 0, ord_bytes = 0;
        const void *jrn = segment_find(&old, topology_ring(RING_ID_JRN)->object, SEGMENT_LOSSLESS, &jrn_bytes);
        const void *ord = segment_find(&old, topology_ring(RING_ID_ORD_SIM)->object, SEGMENT_LOSSLESS, &ord_bytes);
        lossless_reader_t look;
        const bool        lived =
            jrn && ord && lossless_reader_join(&look, jrn, jrn_bytes, NULL, 0) == ERR_OK && lossless_written(&look) > 0;
        if (lived && old.epoch > best && recover_ord(&e->recover, ord, ord_bytes, old.epoch) == ERR_OK) {
            best = old.epoch;
            segment_close(&e->old);
            e->old = old;
        } else {
            segment_close(&old);
        }
    }
}

static err_t recover_all(engine_role_t *e)
{
    role_ctx_t       *ctx = e->ctx;
    journal_id_t      id;
    journal_reader_t *journal = NULL;
    uint64_t          end;
    const char       *note;
    id_of(ctx, &id);
    err_t err = journal_end_of(ctx, &id, &end, &note);
    err       = err ? err : snapshot_take(e, &id, end);
    if (err) {
        return err;
    }
    if (*note) {
        log_write(&ctx->log, LOG_WARN, "journal: %s", note);
    }
    atomic_store_explicit(&ctx->control->progress_all, end - e->recover.from.record, memory_order_relaxed);
    old_ord(e);
    const int64_t began = role_mono_ns();
    err                 = journal_of(ctx, &id, &journal);
    if (!err && journal) {
        err = recover_replay(&e->recover, journal, ctx->control);
    }
    journal_close(journal);
    segment_close(&e->old);
    if (err) {
        return err;
    }
    log_write(&ctx->log, LOG_INFO,
              "recovered: snapshot of sequence %" PRIu64 ", %" PRIu64 " inputs replayed in %lld ms, sequence %" PRIu64
              ", state %016" PRIx64,
              e->recover.from.sequence, e->recover.counts.inputs, (role_mono_ns() - began) / NS_PER_MS,
              e->recover.sequence, engine_state_hash(e->recover.engine));
    return ERR_OK;
}

/* ---- the first inputs of a life ----------------------------------------------------------------------------------- */
static err_t emit(void *ctx, const msg_t *msg)
{
    return engine_input(ctx, msg);
}

static err_t tell(engine_role_t *e, msg_type_t type, const void *body)
{
    return engine_input(&e->loop, &(msg_t){.type = type, .body = body});
}

static err_t tell_control(engine_role_t *e, control_kind_t kind, scope_t scope, uint32_t id, int64_t value)
{
    return tell(e, MSG_CONTROL,
                &(control_t){.kind = (uint8_t)kind, .scope_type = (uint8_t)scope, .scope_id = id, .value = value});
}

/* Kills that the journal knows are shown in the words, so that they can be seen and lifted there; what stands in the
 * words beside them is news for the first turn. */
static void kills_show(engine_role_t *e)
{
    control_t kill;
    for (uint32_t i = 0; engine_kill(e->recover.engine, i, &kill); i++) {
        if (words_kill(e->ctx->words, (scope_t)kill.scope_type, kill.scope_id, true)) {
            e->loop.kill_known[kill.scope_type][kill.scope_id / 64] |= 1ull << (kill.scope_id % 64);
        }
    }
    e->loop.kill_version = UINT64_MAX; /* none: look at all of them in the first turn */
}

err_t engine_begin(engine_role_t *e)
{
    role_ctx_t      *ctx     = e->ctx;
    const recover_t *r       = &e->recover;
    const bool       unknown = (ctx->boot_flags & BOOT_ORDERS_UNKNOWN) || recover_orders_unknown(r);
    const boot_t     boot    = {.epoch          = ctx->epoch,
                                .flags          = unknown ? BOOT_ORDERS_UNKNOWN : 0,
                                .mono_offset_ns = e->loop.mono_offset_ns,
                                .session        = ctx->session};
    kills_show(e);
    err_t err = tell(e, MSG_BOOT, &boot);
    if (!err && !r->set_up) {
        err = setup_open(&e->setup, emit, &e->loop);
    }
    for (uint32_t i = 0; !err && !unknown && i < r->unsent_count; i++) {
        exec_report_t report;
        if (recover_unsent(r, i, role_utc_ns(), &report)) {
            err = tell(e, MSG_EXEC_REPORT, &report);
        }
    }
    err =
        err ? err : tell_control(e, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 0); /* until the first turn sees that it works */
    if (unknown && r->epoch) {
        log_write(&ctx->log, LOG_WARN, "what was sent before epoch %u is not known: every open order is UNKNOWN",
                  ctx->epoch);
    } else if (r->unsent_count) {
        log_write(&ctx->log, LOG_INFO, "%u requests of epoch %u were never sent", r->unsent_count, r->epoch);
    }
    return err;
}

err_t engine_open(engine_role_t *e, role_ctx_t *ctx)
{
    static engine_cfg_t cfg; /* its sizes lie in the arena already; setup takes the number of strategies from it */
    engine_loop_t      *l = &e->loop;
    *e                    = (engine_role_t){.ctx = ctx};
    err_t err             = own_join(e);
    err                   = err ? err : setup_of(&e->setup, ctx->config, NULL, 0, &cfg);
    err                   = err ? err : recover_all(e);
    if (err) {
        return err;
    }
    e->boot_id_hash   = recover_boot_id();
    l->engine         = e->recover.engine;
    l->out            = e->recover.out;
    l->record_base    = e->recover.record;
    l->now            = e->recover.now;
    l->mono_offset_ns = recover_offset(&e->recover, role_mono_ns(), role_utc_ns(), e->boot_id_hash);
    atomic_store_explicit(&e->clock->mono_offset_ns, l->mono_offset_ns, memory_order_release);
    err = publish_join(&l->publish, l->engine, &ctx->own);
    err = err ? err : engine_loop_begin(l);
    err = err ? err : sources_join(e);
    journal_join(e);
    venue_join(e);
    return err;
}

/* ---- the loop ----------------------------------------------------------------------------------------------------- */
/* The descriptor of such a file, which is the caller's now; -1 = there is none. */
static int file_take(role_ctx_t *ctx, role_file_kind_t kind, uint64_t number)
{
    for (uint32_t i = 0; i < ctx->file_count; i++) {
        role_file_t *file = &ctx->files[i];
        if (file->kind == (uint32_t)kind && file->number == number && file->fd >= 0) {
            const int fd = file->fd;
            file->fd     = -1;
            return fd;
        }
    }
    return -1;
}

/* A lane comes in three mails, its connection last; what is there of another lease then is what a supervisor left that
 * ended between them. */
static void lane_file(engine_role_t *e, const role_file_t *file)
{
    role_ctx_t    *ctx    = e->ctx;
    const uint64_t number = file->number;
    for (uint32_t i = 0; i < ctx->file_count; i++) {
        role_file_t *other = &ctx->files[i];
        const bool   lanes = other->kind == ROLE_FILE_LANE_CMD || other->kind == ROLE_FILE_LANE_RSP;
        if (lanes && other->fd >= 0 && other->number != number) {
            close(other->fd);
            other->fd = -1;
        }
    }
    const int link = file_take(ctx, ROLE_FILE_LANE_LINK, number);
    if (link >= 0) {
        const int cmd = file_take(ctx, ROLE_FILE_LANE_CMD, number), rsp = file_take(ctx, ROLE_FILE_LANE_RSP, number);
        engine_lanes_lease(&e->loop, number, cmd, rsp, link);
    }
}

static bool mail_waits(const engine_role_t *e)
{
    return atomic_load_explicit(&e->ctx->words->engine_mail, memory_order_acquire) != e->mail_seen;
}

static void news(engine_role_t *e)
{
    role_ctx_t    *ctx  = e->ctx;
    const uint32_t mail = atomic_load_explicit(&ctx->words->engine_mail, memory_order_acquire);
    uint32_t       which;
    /* a further life of an adapter would unmap rings that are still read */
    for (uint32_t i = 0; i < NEWS_MAX && !engine_source_waits(&e->loop); i++) {
        const role_news_t what = role_news(ctx, &which);
        if (what == ROLE_NEWS_NONE) {
            e->mail_seen = mail;
            return;
        }
        if (what == ROLE_NEWS_FILE) {
            lane_file(e, &ctx->files[which]);
            continue;
        }
        if (which == ROLE_JOURNAL) {
            journal_join(e);
        } else if (which == ROLE_SIM) {
            venue_join(e);
        }
        for (uint32_t s = 0; s < e->loop.source_count; s++) {
            engine_source_t *source = &e->loop.sources[s];
            if (source->role == (role_t)which && source_join(e, source, &ctx->peer[which]) != ERR_OK) {
                log_write(&ctx->log, LOG_ERROR, "%s", err_msg());
            }
        }
    }
}

/* While it spins the engine makes no system call, so it asks for news only when the supervisor says that it has mailed a
 * lane, or when a peer that it needs is not there, has ended or is silent: whoever is replaced was that before. */
static bool news_likely(const engine_role_t *e, int64_t mono_ns)
{
    static const role_t peers[] = {ROLE_JOURNAL, ROLE_SIM, ROLE_CAPTURE};
    for (uint32_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        const segment_t *peer = &e->ctx->peer[peers[i]];
        if (!topology_runs(peers[i], e->ctx->config)) {
            continue;
        }
        const control_page_t *page = segment_part(peer, "control", SEGMENT_CONTROL, sizeof *page);
        if (!page || atomic_load_explicit(&page->state, memory_order_relaxed) >= ROLE_HALT ||
            mono_ns - atomic_load_explicit(&page->heartbeat_mono_ns, memory_order_relaxed) > PEER_SILENT_NS) {
            return true;
        }
    }
    return false;
}

static void housekeep(engine_role_t *e, int64_t mono_ns)
{
    if (mail_waits(e)) {
        news(e);
    }
    if (mono_ns < e->housekeep_mono_ns) {
        return;
    }
    e->housekeep_mono_ns = mono_ns + HOUSEKEEP_NS;
    role_housekeep(e->ctx, mono_ns);
    histogram_epoch(e->loop.event, mono_ns);
    histogram_epoch(e->loop.decide, mono_ns);
    histogram_epoch(e->loop.lanes.latency, mono_ns);
    if (e->ctx->config->run.wait != WAIT_SPIN || news_likely(e, mono_ns)) {
        news(e);
    }
}

static bool short_of_room(const engine_loop_t *l)
{
    return l->blocked || l->md_suspended || l->journal_down || l->ring_full || engine_source_waits(l);
}

/* Nothing to do: a few empty turns, then sleep until somebody rings or the next tick is due. */
static void rest(engine_role_t *e, uint32_t done, int64_t mono_ns)
{
    engine_loop_t *l = &e->loop;
    if (done || e->ctx->config->run.wait == WAIT_SPIN) {
        e->idle_since = 0;
        return;
    }
    e->idle_since = e->idle_since ? e->idle_since : mono_ns;
    if (mono_ns - e->idle_since < IDLE_SPIN_NS) {
        return;
    }
    doorbell_t    *bell = &e->ctx->words->bells[ROLE_ENGINE];
    const uint32_t word = doorbell_arm(bell);
    if (l->lanes.open) {
        engine_lanes_arm(&l->lanes);
    }
    const int64_t now = role_mono_ns();
    if (engine_turn(l, now) || l->fenced || mail_waits(e) || role_stopping(e->ctx) != (e->stop_by != 0)) {
        doorbell_disarm(bell);
        engine_lanes_disarm(&l->lanes);
        e->idle_since = 0;
        return;
    }
    int64_t wait_ns = l->tick_mono_ns - now;
    if (short_of_room(l) && wait_ns > CARE_NS) {
        wait_ns = CARE_NS;
    }
    counter_add(l->counters, COUNTER_SLEEPS, 1);
    wait_ns = wait_ns > 0 ? wait_ns : 0;
    if (l->lanes.open) {
        engine_lanes_wait(&l->lanes, bell, word, wait_ns);
    } else {
        doorbell_wait(bell, word, wait_ns);
    }
    e->idle_since = 0;
}

/* ---- the end ------------------------------------------------------------------------------------------------------ */
static int fenced(engine_role_t *e)
{
    role_ctx_t *ctx = e->ctx;
    log_write(&ctx->log, LOG_ERROR, "fenced: epoch %u, the fence stands at %u", ctx->epoch,
              atomic_load_explicit(&ctx->words->fence_epoch, memory_order_acquire));
    log_flush(&ctx->log, role_mono_ns());
    atomic_store_explicit(&ctx->control->exit_code, ENGINE_EXIT_FENCED, memory_order_relaxed);
    control_state(ctx->control, ROLE_FAIL);
    return ENGINE_EXIT_FENCED;
}

/* What stands in recover_t of the rings' positions is of the last life; this one's are where its readers are. */
static void positions_save(const engine_role_t *e, snapshot_info_t *info)
{
    for (uint32_t i = 0; i < e->loop.source_count; i++) {
        const engine_source_t *s = &e->loop.sources[i];
        if (s->gen) {
            info->source_gen[0][i] = info->source_gen[1][i] = s->gen;
            info->source_seq[0][i]                          = s->md.next - 1;
            info->source_seq[1][i]                          = s->exec.next - 1;
        }
    }
}

static err_t snapshot_save(const engine_role_t *e)
{
    const engine_loop_t *l   = &e->loop;
    const role_ctx_t    *ctx = e->ctx;
    size_t               bytes;
    const void          *arena = engine_image(l->engine, &bytes);
    snapshot_info_t      info  = {.sequence       = l->sequence,
                                  .record         = l->record_base + l->jrn.next - 1,
                                  .output_hash    = engine_output_hash(l->engine),
                                  .state_hash     = engine_state_hash(l->engine),
                                  .arena_bytes    = bytes,
                                  .now            = l->now,
                                  .mono_offset_ns = l->mono_offset_ns,
                                  .epoch          = ctx->epoch,
                                  .boot_id_hash   = e->boot_id_hash};
    id_of(ctx, &info.id);
    positions_save(e, &info);
    for (uint32_t i = 0; i < ctx->file_count; i++) {
        if (ctx->files[i].kind == ROLE_FILE_SNAPSHOT_OUT && ctx->files[i].fd >= 0) {
            return snapshot_write(ctx->files[i].fd, &info, arena);
        }
    }
    return err_set(ERR_NOT_FOUND, "no file for the snapshot of the stop was given");
}

static int stopped(engine_role_t *e)
{
    role_ctx_t *ctx   = e->ctx;
    const bool  named = atomic_load_explicit(&ctx->words->kill_set[SCOPE_GLOBAL][0], memory_order_acquire) & 1u;
    if (!named && tell_control(e, CONTROL_KILL, SCOPE_GLOBAL, 0, 0) == ERR_FULL) {
        log_write(&ctx->log, LOG_WARN, "stop: no room to lift the kill of the stop: it stands in the next life too");
    }
    if (engine_lanes_close(&e->loop, LANE_REASON_STOP) == ERR_FULL) {
        log_write(&ctx->log, LOG_WARN, "stop: no room to close every lane: the next life closes the rest");
    }
    role_housekeep(ctx, role_mono_ns());
    if (snapshot_save(e) != ERR_OK) {
        log_write(&ctx->log, LOG_WARN, "stop without a snapshot: %s", err_msg());
    }
    doorbell_ring(&ctx->words->bells[ROLE_JOURNAL], ctx->fifo[ROLE_JOURNAL]);
    log_write(&ctx->log, LOG_INFO, "stopped at sequence %" PRIu64 ", %u orders open, state %016" PRIx64,
              e->loop.sequence, order_open_count(engine_orders(e->loop.engine)), engine_state_hash(e->loop.engine));
    role_housekeep(ctx, role_mono_ns());
    control_state(ctx->control, ROLE_HALT);
    return 0;
}

/* Cancels for every order, then as many turns as their answers take. */
static bool stop_turn(engine_role_t *e, int64_t mono_ns)
{
    if (!e->stop_by) {
        if (tell_control(e, CONTROL_KILL, SCOPE_GLOBAL, 0, 1) == ERR_FULL) {
            return false; /* blocked: adapters cancel for themselves, and the supervisor does not wait for ever */
        }
        control_state(e->ctx->control, ROLE_STOPPING);
        e->stop_by = mono_ns + ENGINE_STOP_NS;
    }
    return order_open_count(engine_orders(e->loop.engine)) == 0 || mono_ns >= e->stop_by;
}

int engine_pass(engine_role_t *e)
{
    engine_loop_t *l       = &e->loop;
    const int64_t  mono_ns = role_mono_ns();
    housekeep(e, mono_ns);
    const uint32_t done = engine_turn(l, mono_ns);
    if (l->fenced) {
        return fenced(e);
    }
    if (role_stopping(e->ctx) && stop_turn(e, mono_ns)) {
        return stopped(e);
    }
    rest(e, done, mono_ns);
    return -1;
}

void engine_close(engine_role_t *e)
{
    engine_lanes_drop(&e->loop.lanes);
    segment_close(&e->old);
    recover_close(&e->recover);
}

int engine_main(role_ctx_t *ctx)
{
    static engine_role_t e; /* too large for a stack, and there is one */
    int                  code = -1;
    control_state(ctx->control, ROLE_RECOVERING);
    atomic_store_explicit(&ctx->control->epoch, ctx->epoch, memory_order_relaxed);
    atomic_store_explicit(&ctx->control->spinning, ctx->config->run.wait == WAIT_SPIN, memory_order_relaxed);
    err_t err = engine_open(&e, ctx);
    if (!err) {
        err = role_sandbox(ctx);
        err = err == ERR_UNSUPPORTED ? ERR_OK : err;
    }
    err = err ? err : engine_begin(&e);
    if (e.loop.fenced) {
        return fenced(&e);
    }
    if (err) {
        return role_fail(ctx, err == ERR_FULL ? "no room in jrn or ord for the first records" : err_msg());
    }
    control_state(ctx->control, ROLE_RUN);
    while (code < 0) {
        code = engine_pass(&e);
    }
    return code;
}
