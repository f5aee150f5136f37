#include "tools/capture_live.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/net/to_engine.h"
#include "core/types/decimal.h"
#include "core/types/time.h"
#include "ipc/message.h"

#define TURN_LINES 256u
#define DEFINE_AGAIN_NS (1 * NS_PER_S)
#define WAIT_NS (1 * NS_PER_MS) /* for room in the ring, for ids */
#define IDLE_NS (100 * NS_PER_MS)
#define VENUE_SILENT_NS (2 * NS_PER_S)

/* ---- publishing --------------------------------------------------------------------------------------------------- */

static md_slot_t slot_reserve(void *ctx, msg_type_t type)
{
    live_t *live = ctx;
    (void)type;
    return (md_slot_t){.body = &live->slot.body, .levels = live->slot.levels};
}

static void shift(const live_t *live, int64_t *event_ns, int64_t *recv_ns)
{
    *event_ns = *event_ns == 0 ? 0 : *event_ns + live->shift_ns;
    *recv_ns  = live->utc_ns;
}

static void slot_commit(void *ctx, const msg_t *msg)
{
    live_t  *live = ctx;
    size_t   len  = 0;
    uint32_t id   = *(const uint32_t *)msg->body; /* the first member of each */
    switch (msg->type) {
    case MSG_BOOK_UPDATE: shift(live, &live->slot.body.book.ts_event_ns, &live->slot.body.book.ts_recv_ns); break;
    case MSG_TRADE: shift(live, &live->slot.body.trade.ts_event_ns, &live->slot.body.trade.ts_recv_ns); break;
    case MSG_TOP: shift(live, &live->slot.body.top.ts_event_ns, &live->slot.body.top.ts_recv_ns); break;
    default: live->slot.body.feed.ts_recv_ns = live->utc_ns; break;
    }
    if (message_write(msg, ring_reserve(&live->md), ring_room(&live->md), &len) != ERR_OK) {
        log_write(&live->ctx->log, LOG_ERROR, "md.capture: %s does not fit", msg_type_str(msg->type));
        return;
    }
    ring_commit(&live->md, &(ring_meta_t){.len = (uint32_t)len, .type = (uint16_t)msg->type, .topic = id});
    counter_add(live->ctx->counters, COUNTER_MD_MESSAGES, 1);
    live->wrote++;
}

/* What was in it nobody knows: no book of its file is trusted until a snapshot. */
static void lose(live_t *live, uint32_t file)
{
    const uint32_t place = live->def.file_instrument[file];
    live->venue->lost(live->codec[live->def.file_kind[file]], place ? live->ids[place - 1] : 0, FEED_REASON_LOST,
                      live->utc_ns);
}

static void line_publish(live_t *live)
{
    const capture_line_t *line   = &live->line;
    void                 *codec  = live->codec[live->def.file_kind[line->file]];
    const uint32_t        place  = live->def.file_instrument[line->file];
    const md_frame_t      frame  = {.text          = line->text,
                                    .len           = line->len,
                                    .ts_recv_ns    = live->utc_ns,
                                    .instrument_id = place ? live->ids[place - 1] : 0};
    const uint64_t        nobody = live->venue->stats(codec)->unassigned;
    live->shift_ns               = live->utc_ns - line->ts_recv_ns;
    counter_add(live->ctx->counters, COUNTER_RECV_BYTES, line->len);
    if (live->venue->decode(codec, &frame) != ERR_OK) {
        live->bad++;
        log_write(&live->ctx->log, LOG_WARN, "%s line %" PRIu64 ": %s", live->ctx->config->capture.files[line->file],
                  line->line_no, err_msg());
        if (live->venue->stats(codec)->unassigned != nobody) {
            lose(live, line->file); /* too garbled to say whose it is */
        }
    }
}

/* ---- reading, pace ------------------------------------------------------------------------------------------------ */

static void ended(live_t *live, bool cut)
{
    live->ended = true;
    for (uint32_t f = 0; cut && f < live->ctx->config->capture.files_count; f++) {
        lose(live, f);
    }
    log_write(&live->ctx->log, cut ? LOG_ERROR : LOG_INFO, "%s after %" PRIu64 " lines, %" PRIu64 " of them bad%s%s",
              cut ? "the recording is cut" : "the recording is at its end", live->lines, live->bad, cut ? ": " : "",
              cut ? err_msg() : "");
}

/* The next good line becomes pending; false at the end. */
static bool line_next(live_t *live)
{
    err_t err;
    while (!live->pending && !live->ended) {
        err = capture_next(live->cap, &live->line);
        if (err == ERR_OK) {
            live->first_recv_ns = live->lines++ == 0 ? live->line.ts_recv_ns : live->first_recv_ns;
            live->pending       = true;
        } else if (err == ERR_END || !live->line.fault) {
            ended(live, err != ERR_END);
        } else {
            live->bad++;
            log_write(&live->ctx->log, LOG_WARN, "%s", err_msg());
            lose(live, live->line.file);
        }
    }
    return live->pending;
}

/* Has this reader taken all but a half of the ring? A cursor ahead of us counts in the ring of a life before ours. */
static bool reader_keeps_up(const live_t *live, const ring_cursor_t *cursor)
{
    const uint64_t written = live->md.next - 1;
    const uint64_t taken   = cursor ? atomic_load_explicit(&cursor->taken, memory_order_acquire) : 0;
    return written - (taken <= written ? taken : 0) <= live->md.mask / 2;
}

/* The venue matches against what we publish, so it is waited for like the engine, as long as it lives. */
static bool ring_has_room(const live_t *live, int64_t mono_ns)
{
    const bool venue =
        live->venue_control &&
        mono_ns - atomic_load_explicit(&live->venue_control->heartbeat_mono_ns, memory_order_relaxed) < VENUE_SILENT_NS;
    return reader_keeps_up(live, live->taken) && (!venue || reader_keeps_up(live, live->venue_taken));
}

/* When the pending line is due: 0 = now, as far as the clock goes. */
static int64_t line_due_ns(const live_t *live)
{
    if (live->speed_milli == 0) {
        return 0;
    }
    return live->began_mono_ns +
           (int64_t)((i128_t)(live->line.ts_recv_ns - live->first_recv_ns) * 1000 / live->speed_milli);
}

uint32_t live_turn(live_t *live, int64_t mono_ns)
{
    uint32_t count = 0;
    live->utc_ns   = role_utc_ns();
    live->wrote    = 0;
    while (live->begun && count < TURN_LINES && line_next(live) && line_due_ns(live) <= mono_ns &&
           (live->speed_milli != 0 || ring_has_room(live, mono_ns))) {
        line_publish(live);
        live->pending = false;
        count++;
    }
    if (live->wrote > 0) {
        role_bell(live->ctx, ROLE_ENGINE);
        role_bell(live->ctx, ROLE_VENUE);
    }
    counter_add(live->ctx->counters, COUNTER_TURNS, 1);
    return count;
}

int64_t live_sleep_ns(const live_t *live, int64_t mono_ns)
{
    if (!live->begun) {
        return WAIT_NS;
    }
    if (live->ended || !live->pending) {
        return live->ended ? IDLE_NS : 0;
    }
    const int64_t wait = live->speed_milli == 0 ? WAIT_NS : line_due_ns(live) - mono_ns;
    return wait < 0 ? 0 : min_i64(wait, IDLE_NS);
}

/* ---- the engine --------------------------------------------------------------------------------------------------- */

void live_engine(live_t *live)
{
    const segment_t *seg   = &live->ctx->peer[ROLE_ENGINE];
    size_t           places = 0, more = 0;
    live->engine      = NULL;
    live->taken       = NULL;
    live->instruments = live->feeds = (records_reader_t){0};
    if (seg->head == NULL) {
        return;
    }
    const void *instruments = segment_find(seg, topology_record_name(RECORD_ID_INSTRUMENTS), SEGMENT_RECORDS, &places);
    const void *feeds       = segment_find(seg, topology_record_name(RECORD_ID_FEEDS), SEGMENT_RECORDS, &more);
    const ring_cursor_t  *cursors = segment_part(seg, "cursors", SEGMENT_CURSORS, RING_ID_COUNT * sizeof *cursors);
    const control_page_t *control = segment_part(seg, "control", SEGMENT_CONTROL, sizeof *control);
    if (!instruments || !feeds || !cursors || !control ||
        records_reader_join(&live->instruments, instruments, places) != ERR_OK ||
        records_reader_join(&live->feeds, feeds, more) != ERR_OK) {
        log_write(&live->ctx->log, LOG_ERROR, "engine's segment %u: %s", seg->gen, err_msg());
        live->instruments = live->feeds = (records_reader_t){0};
        return;
    }
    live->engine = control;
    live->taken  = &cursors[RING_ID_MD_CAPTURE];
    lossless_writer_cursor(&live->exec, &cursors[RING_ID_EXEC_CAPTURE]);
}

void live_venue(live_t *live)
{
    const segment_t *seg         = &live->ctx->peer[ROLE_VENUE];
    live->venue_control          = segment_part(seg, "control", SEGMENT_CONTROL, sizeof *live->venue_control);
    const ring_cursor_t *cursors = segment_part(seg, "cursors", SEGMENT_CURSORS, RING_ID_COUNT * sizeof *cursors);
    live->venue_taken            = cursors ? &cursors[RING_ID_MD_CAPTURE] : NULL;
}

static void begin(live_t *live, int64_t mono_ns)
{
    for (uint32_t i = 0; i < live->def.count; i++) {
        const instrument_t *ins = &live->def.ins[i];
        feed_ref_t          ref = {.instrument_id = live->ids[i],
                                   .kind          = ins->def.kind,
                                   .px_exp        = ins->def.px_exp,
                                   .qty_exp       = ins->def.qty_exp};
        memcpy(ref.symbol, ins->symbol, sizeof ref.symbol);
        if (live->venue->feed_add(live->codec[ins->def.kind], &ref) != ERR_OK) {
            log_write(&live->ctx->log, LOG_ERROR, "%s: %s", ins->symbol, err_msg());
        }
    }
    live->begun         = true;
    live->began_mono_ns = mono_ns;
    log_write(&live->ctx->log, LOG_INFO, "begins: %u instruments in %u files", live->def.count,
              live->ctx->config->capture.files_count);
}

static void ids_look(live_t *live, int64_t mono_ns)
{
    const bool run   = atomic_load_explicit(&live->engine->state, memory_order_acquire) == ROLE_RUN;
    const bool ask   = run && (live->defined_mono_ns == 0 || mono_ns - live->defined_mono_ns > DEFINE_AGAIN_NS);
    uint32_t   known = 0;
    for (uint32_t i = 0; i < live->def.count; i++) {
        const instrument_t *ins = &live->def.ins[i];
        live->ids[i]            = to_engine_find(&live->instruments, ins->def.venue_id, ins->symbol);
        known += live->ids[i] != 0;
        if (live->ids[i] == 0 && ask) {
            live->defined_mono_ns = mono_ns;
            if (to_engine_define(&live->exec, ins) != ERR_OK) {
                log_write(&live->ctx->log, LOG_WARN, "exec.capture: no room for the definition of %s", ins->symbol);
            }
        }
    }
    if (live->defined_mono_ns == mono_ns) {
        role_bell(live->ctx, ROLE_ENGINE);
    }
    if (known == live->def.count) {
        begin(live, mono_ns);
    }
}

static bool engine_says_broken(const live_t *live, uint32_t id)
{
    to_engine_buf_t buf;
    ring_meta_t     meta;
    uint64_t        version;
    msg_t           msg;
    if (records_read(&live->feeds, id - 1, &buf, sizeof buf, &meta, &version) != ERR_OK ||
        meta.type != MSG_FEED_STATE || message_read(meta.type, &buf, meta.len, &msg) != ERR_OK) {
        return false;
    }
    const feed_state_t *state = msg.body;
    return state->health == FEED_BROKEN && state->reason != FEED_REASON_START;
}

static void books_look(live_t *live)
{
    for (uint32_t i = 0; i < live->def.count; i++) {
        void               *codec  = live->codec[live->def.ins[i].def.kind];
        const feed_stats_t *stats  = live->venue->feed_stats(codec, live->ids[i]);
        const bool          broken = stats && stats->health == FEED_LIVE && engine_says_broken(live, live->ids[i]);
        if (broken && live->suspect[i]) {
            log_write(&live->ctx->log, LOG_WARN,
                      "%s: the engine's book is broken: waits for the recording's next snapshot",
                      live->def.ins[i].symbol);
            live->venue->lost(codec, live->ids[i], FEED_REASON_LOST, live->utc_ns);
        }
        live->suspect[i] = broken;
    }
}

void live_look(live_t *live, int64_t mono_ns)
{
    if (live->engine != NULL && !live->begun) {
        ids_look(live, mono_ns);
    } else if (live->engine != NULL) {
        books_look(live);
    }
    atomic_store_explicit(&live->ctx->control->progress, live->lines, memory_order_relaxed);
}

/* ---- beginning ---------------------------------------------------------------------------------------------------- */

static void note(void *ctx, const char *text)
{
    live_t *live = ctx;
    log_write(&live->ctx->log, LOG_INFO, "%s", text);
}

static err_t define_open(live_t *live)
{
    const config_capture_t *c      = &live->ctx->config->capture;
    config_instruments_t   *listed = NULL;
    char                    path[4096];
    if (decimal_parse(c->speed, strlen(c->speed), 3, &live->speed_milli) != ERR_OK || live->speed_milli < 0) {
        return err_set(ERR_CONFIG, "capture: speed \"%s\" is no number from 0 with at most 3 decimals", c->speed);
    }
    if (c->files_count == 0 || c->files_count > CAPTURE_FILES_MAX) {
        return err_set(ERR_CONFIG, "capture: %u files, limit 1..%u", c->files_count, CAPTURE_FILES_MAX);
    }
    err_t err = config_path("instruments.yaml", path, sizeof path) ? config_instruments_load(path, &listed) : ERR_OK;
    if (err == ERR_OK) {
        err = capture_def_open(&live->def, live->venue->name, listed, c->files, c->files_count, 0, note, live);
    }
    if (listed != NULL) {
        config_instruments_free(listed);
    }
    return err;
}

static err_t codecs_open(live_t *live)
{
    const venue_codec_cfg_t cfg = {.feeds_max = CAPTURE_INSTRUMENTS_MAX,
                                   .sink      = {.ctx = live, .reserve = slot_reserve, .commit = slot_commit}};
    for (uint32_t i = 0; i < live->def.count; i++) {
        const uint8_t kind = live->def.ins[i].def.kind;
        if (live->codec[kind] == NULL) {
            const size_t bytes = live->venue->footprint(&cfg);
            void        *mem   = bytes ? aligned_alloc(live->venue->align(), (bytes + 4095) & ~(size_t)4095) : NULL;
            live->codec[kind]  = mem ? live->venue->create(mem, &cfg) : NULL;
            if (live->codec[kind] == NULL) {
                return err_set(ERR_LIMIT, "capture: no memory for the %s codec", live->venue->name);
            }
        }
    }
    return ERR_OK;
}

static err_t rings_open(live_t *live)
{
    const ring_row_t *md_row = topology_ring(RING_ID_MD_CAPTURE), *exec_row = topology_ring(RING_ID_EXEC_CAPTURE);
    size_t            md_bytes = 0, exec_bytes = 0;
    void             *md   = segment_find(&live->ctx->own, md_row->object, md_row->kind, &md_bytes);
    void             *exec = segment_find(&live->ctx->own, exec_row->object, exec_row->kind, &exec_bytes);
    if (md == NULL || exec == NULL) {
        return err_set(ERR_INTERNAL, "capture: its segment lacks a ring");
    }
    const err_t err = ring_writer_join(&live->md, md, md_bytes);
    return err != ERR_OK ? err : lossless_writer_join(&live->exec, exec, exec_bytes);
}

err_t live_open(live_t *live, role_ctx_t *ctx)
{
    const config_capture_t *c = &ctx->config->capture;
    *live                     = (live_t){.ctx = ctx, .venue = venue_codec_find("binance")};
    err_t err                 = live->venue ? define_open(live) : err_set(ERR_INTERNAL, "no codec \"binance\"");
    err                       = err ? err : rings_open(live);
    err                       = err ? err : codecs_open(live);
    if (err == ERR_OK) {
        const size_t bytes = capture_footprint(c->files_count);
        void        *mem   = aligned_alloc(capture_align(), (bytes + 4095) & ~(size_t)4095);
        err                = mem ? capture_open(mem, (const char *const *)c->files, c->files_count, &live->cap)
                                 : err_set(ERR_LIMIT, "capture: out of memory");
    }
    if (err == ERR_OK) {
        live->utc_ns = role_utc_ns();
        live_engine(live);
        live_venue(live);
    }
    return err;
}

void live_close(live_t *live)
{
    if (live->cap != NULL) {
        capture_close(live->cap);
        free(live->cap);
    }
    for (uint32_t kind = 0; kind < CAPTURE_KINDS; kind++) {
        free(live->codec[kind]);
    }
}
