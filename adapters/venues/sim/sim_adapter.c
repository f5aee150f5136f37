#include "adapters/venues/sim/sim_adapter.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "adapters/net/to_engine.h"
#include "core/risk/risk_code.h"
#include "core/types/ids.h"
#include "core/types/time.h"

#define ORD_BATCH 256u                 /* messages of ord in a turn */
#define FRAME_BATCH 1024u              /* frames of the socket      */
#define MAP_NS (100 * NS_PER_MS)       /* between two looks at the engine's instruments */
#define MAP_SOON_NS (5 * NS_PER_MS)    /* while one is missing */
#define DEFINE_AGAIN_NS (1 * NS_PER_S) /* a definition that nobody took is told again */
#define OWN_QUESTION (1ull << 63)      /* in request_id: asked by us, the answer is not the engine's */

/* ---- to the engine ------------------------------------------------------------------------------------------------ */

static bool exec_has_room(sim_t *sim)
{
    return lossless_room(&sim->exec, 1) >= 1;
}

/* One message into exec, where there is room. */
static void exec_tell(sim_t *sim, uint32_t topic, const msg_t *msg)
{
    if (to_engine_tell(&sim->exec, topic, msg) != ERR_OK) {
        log_write(&sim->ctx->log, LOG_ERROR, "exec.sim: %s", err_msg());
        return;
    }
    sim->wrote++;
}

static void exec_control(sim_t *sim, control_kind_t kind, uint32_t venue_id, int64_t value)
{
    const control_t control = {.kind = (uint8_t)kind, .scope_type = SCOPE_VENUE, .scope_id = venue_id, .value = value};
    exec_tell(sim, 0, &(msg_t){.type = MSG_CONTROL, .body = &control});
}

static void exec_report(sim_t *sim, const exec_report_t *report)
{
    counter_add(sim->ctx->counters, COUNTER_EXECS, 1);
    counter_add(sim->ctx->counters, COUNTER_FILLS, report->exec_type == EXEC_TYPE_TRADE);
    counter_add(sim->ctx->counters, COUNTER_REJECTED,
                report->exec_type == EXEC_TYPE_REJECTED || report->exec_type == EXEC_TYPE_CANCEL_REJECT ||
                    report->exec_type == EXEC_TYPE_REPLACE_REJECT);
    exec_tell(sim, report->instrument_id, &(msg_t){.type = MSG_EXEC_REPORT, .body = report});
}

/* An answer of ours: at once, or when there is room; whoever makes one looked at answers_free first. */
static void answer(sim_t *sim, const exec_report_t *report)
{
    if (sim->answer_count == 0 && exec_has_room(sim)) {
        exec_report(sim, report);
        return;
    }
    sim->answers[(sim->answer_head + sim->answer_count++) % SIM_ANSWERS_MAX] = *report;
}

static bool answers_flush(sim_t *sim)
{
    while (sim->answer_count > 0 && exec_has_room(sim)) {
        exec_report(sim, &sim->answers[sim->answer_head]);
        sim->answer_head = (sim->answer_head + 1) % SIM_ANSWERS_MAX;
        sim->answer_count--;
    }
    return sim->answer_count == 0;
}

/* Every request that is taken, pending or held may need an answer. */
static bool answers_free(const sim_t *sim)
{
    return sim->answer_count + sim->pending_count + sim->held_count + 1 < SIM_ANSWERS_MAX;
}

static void refuse(sim_t *sim, const order_req_t *req, uint32_t code)
{
    const bool          is_new = req->action == ORDER_ACTION_NEW;
    const exec_report_t report = {.cl_ord_id     = is_new ? req->cl_ord_id : req->orig_cl_ord_id,
                                  .corr_hi       = req->corr_hi,
                                  .corr_lo       = req->corr_lo,
                                  .account_id    = req->account_id,
                                  .strategy_id   = req->strategy_id,
                                  .instrument_id = req->instrument_id,
                                  .exec_type     = is_new                               ? EXEC_TYPE_UNSENT
                                                   : req->action == ORDER_ACTION_CANCEL ? EXEC_TYPE_CANCEL_REJECT
                                                                                        : EXEC_TYPE_REPLACE_REJECT,
                                  .ord_status    = is_new ? ORD_STATUS_REJECTED : ORD_STATUS_NONE,
                                  .side          = req->side,
                                  .cum_qty       = is_new ? 0 : -1,
                                  .leaves_qty    = is_new ? 0 : -1,
                                  .order_qty     = is_new ? req->qty : 0,
                                  .px            = is_new ? req->px : 0,
                                  .ts_recv_ns    = role_utc_ns(),
                                  .reject_code   = code};
    counter_add(sim->ctx->counters, COUNTER_UNSENT, 1);
    answer(sim, &report);
}

static void md_tell(sim_t *sim, uint32_t topic, const msg_t *msg)
{
    size_t      len = 0;
    const err_t err = message_write(msg, ring_reserve(&sim->md), ring_room(&sim->md), &len);
    if (err != ERR_OK) {
        log_write(&sim->ctx->log, LOG_ERROR, "%s does not fit its ring: %s", msg_type_str(msg->type), err_msg());
        return;
    }
    ring_commit(&sim->md, &(ring_meta_t){.len = (uint32_t)len, .type = (uint16_t)msg->type, .topic = topic});
    counter_add(sim->ctx->counters, COUNTER_MD_MESSAGES, 1);
    sim->wrote++;
}

/* ---- requests to the venue ---------------------------------------------------------------------------------------- */

static bool link_up(const sim_t *sim)
{
    return sim->link.fd >= 0;
}

static bool link_room(const sim_t *sim)
{
    return !link_up(sim) || (frame_link_room(&sim->link) >= FRAME_MAX && sim->pending_count < SIM_PENDING_MAX);
}

static bool link_put(sim_t *sim, uint32_t topic, const msg_t *msg)
{
    const err_t err = frame_link_put(&sim->link, topic, msg);
    if (err != ERR_OK) {
        log_write(&sim->ctx->log, LOG_ERROR, "%s to the venue: %s", msg_type_str(msg->type),
                  err == ERR_FULL ? "no room" : err_msg());
    }
    return err == ERR_OK;
}

/* Why a NEW or REPLACE may not leave; 0 = it may. */
static uint32_t gate(const sim_t *sim, const order_req_t *req, int64_t mono_ns)
{
    const words_t *words = sim->ctx->words;
    if (cl_ord_id_epoch(req->cl_ord_id) < atomic_load_explicit(&words->fence_epoch, memory_order_acquire) ||
        atomic_load_explicit(&words->stop, memory_order_acquire) != 0) {
        return RISK_RECOVERING;
    }
    if (atomic_load_explicit(&words->kill_set[SCOPE_GLOBAL][0], memory_order_acquire) & 1) {
        return RISK_KILL_GLOBAL;
    }
    const int64_t offset = sim->clock ? atomic_load_explicit(&sim->clock->mono_offset_ns, memory_order_acquire) : 0;
    return mono_ns + offset - req->created_mono_ns > SIM_AGE_NS ? RISK_REQUEST_TOO_OLD : 0;
}

static uint32_t venue_instrument_of(const sim_t *sim, uint32_t engine_id)
{
    return engine_id <= SIM_INSTRUMENTS_MAX ? sim->by_engine[engine_id] : 0;
}

/* A request goes: into the table, into the buffer, and into the list of those of which no byte has left. */
static void request_go(sim_t *sim, const order_req_t *req, int64_t mono_ns)
{
    const bool     cancel = req->action == ORDER_ACTION_CANCEL;
    const uint32_t id     = venue_instrument_of(sim, req->instrument_id);
    uint32_t       code   = link_up(sim) ? 0 : RISK_VENUE_DOWN;
    code                  = code == 0 && !cancel ? gate(sim, req, mono_ns) : code;
    code                  = code == 0 && !cancel && id == 0 ? RISK_UNKNOWN_INSTRUMENT : code;
    if (code == 0 && sim_orders_sent(sim->orders, req) == NULL && !cancel) {
        code = RISK_RING_FULL;
    }
    if (code != 0) {
        refuse(sim, req, code);
        return;
    }
    const uint64_t start = sim->link.put;
    order_req_t    there = *req;
    there.instrument_id  = id;
    if (!link_put(sim, 0, &(msg_t){.type = MSG_ORDER_REQUEST, .body = &there})) {
        return; /* the caller made room: not reached; the order stays in the table, waiting, and is told as lost */
    }
    sim->pending[(sim->pending_head + sim->pending_count++) % SIM_PENDING_MAX] =
        (sim_pending_t){.req = *req, .start = start};
    counter_add(sim->ctx->counters,
                cancel                                ? COUNTER_CANCELS
                : req->action == ORDER_ACTION_REPLACE ? COUNTER_REPLACES
                                                      : COUNTER_ORDERS,
                1);
}

/* ---- held until durable ------------------------------------------------------------------------------------------- */

static bool durable(const sim_t *sim, uint32_t topic)
{
    const uint64_t done = sim->durable ? atomic_load_explicit(&sim->durable->taken, memory_order_acquire) : 0;
    return done != 0 && (int32_t)(topic - (uint32_t)done) <= 0; /* 0: a journal role that has not said yet */
}

static bool held_target(const sim_t *sim, const order_req_t *req)
{
    for (uint32_t i = 0; i < sim->held_count; i++) {
        if (sim->held[i].req.cl_ord_id == req->orig_cl_ord_id ||
            sim->held[i].req.orig_cl_ord_id == req->orig_cl_ord_id) {
            return true;
        }
    }
    return false;
}

/* Oldest first. One that may not leave any more does not wait for the disk to be refused. */
static uint32_t held_release(sim_t *sim, int64_t mono_ns)
{
    uint32_t n = 0;
    while (n < sim->held_count && link_room(sim)) {
        const sim_held_t *first = &sim->held[n];
        if (link_up(sim) && first->req.action != ORDER_ACTION_CANCEL && gate(sim, &first->req, mono_ns) == 0 &&
            !durable(sim, first->topic)) {
            break;
        }
        request_go(sim, &first->req, mono_ns);
        n++;
    }
    sim->held_count -= n;
    memmove(sim->held, sim->held + n, sim->held_count * sizeof *sim->held);
    return n;
}

static void request_take(sim_t *sim, const order_req_t *req, uint32_t topic, int64_t mono_ns)
{
    const bool cancel = req->action == ORDER_ACTION_CANCEL;
    if (sim->power &&
        (cancel ? held_target(sim, req)
                : link_up(sim) && gate(sim, req, mono_ns) == 0 && (!durable(sim, topic) || sim->held_count > 0))) {
        sim->held[sim->held_count++] = (sim_held_t){.req = *req, .topic = topic};
        return;
    }
    request_go(sim, req, mono_ns);
}

/* ---- mass cancel -------------------------------------------------------------------------------------------------- */

static bool mass_takes(const mass_cancel_t *mass, uint32_t account_id, uint32_t instrument_id, uint8_t side)
{
    return account_id == mass->account_id && (mass->instrument_id == 0 || instrument_id == mass->instrument_id) &&
           (mass->side == SIDE_NONE || side == mass->side);
}

/* What still waits here for the disk never leaves. */
static void mass_held(sim_t *sim, const mass_cancel_t *mass)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sim->held_count; i++) {
        const order_req_t *req = &sim->held[i].req;
        if (req->action != ORDER_ACTION_CANCEL && mass_takes(mass, req->account_id, req->instrument_id, req->side)) {
            refuse(sim, req, RISK_CANCEL_ONLY);
        } else {
            sim->held[kept++] = sim->held[i];
        }
    }
    sim->held_count = kept;
}

/* One message; each order in its scope waits for its own answer. Without a session none comes: TIMEOUTs are told, and the
 * engine asks what became of them. */
static void mass_take(sim_t *sim, const mass_cancel_t *mass)
{
    mass_cancel_t there = *mass;
    there.instrument_id = venue_instrument_of(sim, mass->instrument_id);
    mass_held(sim, mass);
    const bool sent = link_up(sim) && (there.instrument_id != 0 || mass->instrument_id == 0) &&
                      link_put(sim, 0, &(msg_t){.type = MSG_MASS_CANCEL, .body = &there});
    for (uint32_t i = 0; i < SIM_ORDERS_MAX; i++) {
        sim_order_t *order = &sim->orders->rows[i];
        if (order->cl_ord_id != 0 && mass_takes(mass, order->account_id, order->instrument_id, order->side)) {
            order->waiting += sent;
            order->lost |= !sent;
        }
    }
    sim->lost_row = sent ? sim->lost_row : 0;
    counter_add(sim->ctx->counters, COUNTER_CANCELS, 1);
}

/* ---- ord ---------------------------------------------------------------------------------------------------------- */

static void question_order(sim_t *sim, const order_status_req_t *ask)
{
    order_status_req_t there = *ask;
    there.instrument_id      = venue_instrument_of(sim, ask->instrument_id);
    if (link_up(sim) && link_put(sim, 0, &(msg_t){.type = MSG_ORDER_STATUS_REQUEST, .body = &there})) {
        counter_add(sim->ctx->counters, COUNTER_QUERIES, 1);
    }
}

/* Without a session there is an answer, too; if even that has no room the engine asks again at the next VENUE_LINK 1. */
static void question_mass(sim_t *sim, const mass_status_req_t *ask)
{
    if (link_up(sim) && link_put(sim, 0, &(msg_t){.type = MSG_MASS_STATUS_REQUEST, .body = ask})) {
        counter_add(sim->ctx->counters, COUNTER_QUERIES, 1);
    } else if (exec_has_room(sim)) {
        const mass_status_t failed = {.request_id = ask->request_id,
                                      .account_id = ask->account_id,
                                      .venue_id   = ask->venue_id,
                                      .kind       = MASS_STATUS_FAILED};
        exec_tell(sim, 0, &(msg_t){.type = MSG_MASS_STATUS, .body = &failed});
    }
}

/* A recording cannot be asked; its adapter sees for itself that a book is broken. */
static void question_snapshot(sim_t *sim, const snapshot_req_t *ask)
{
    snapshot_req_t there = *ask;
    there.instrument_id  = venue_instrument_of(sim, ask->instrument_id);
    if (link_up(sim) && !sim->recorded && there.instrument_id != 0) {
        link_put(sim, 0, &(msg_t){.type = MSG_SNAPSHOT_REQUEST, .body = &there});
    }
}

/* The next message of ord; false when there is none, or no room for what may come of it. */
static bool ord_next(sim_t *sim, int64_t mono_ns)
{
    ring_meta_t meta;
    const void *payload;
    union {
        order_req_t        order;
        order_status_req_t status;
        mass_status_req_t  mass;
        mass_cancel_t      cancel;
        snapshot_req_t     snapshot;
    } body;
    if (!answers_free(sim) || !link_room(sim) || sim->held_count == SIM_HELD_MAX) {
        return false;
    }
    err_t err = lossless_peek(&sim->ord, &meta, &payload);
    msg_t msg = {0};
    if (err == ERR_EMPTY) {
        return false;
    }
    err = err == ERR_OK ? message_read(meta.type, payload, meta.len, &msg) : err;
    if (err == ERR_OK && msg_body_size(msg.type) <= sizeof body) {
        memcpy(&body, msg.body, msg_body_size(msg.type));
    } else {
        log_write(&sim->ctx->log, LOG_ERROR, "%s: message %" PRIu64 " cannot be read: %s", "ord.sim", sim->ord.next,
                  err_msg());
        msg.type = MSG_NONE;
    }
    lossless_take(&sim->ord); /* before any byte of it can leave */
    if (msg.type == MSG_ORDER_REQUEST && body.order.action == ORDER_ACTION_NEW && body.order.corr_lo) {
        const int64_t passed_ns = role_utc_ns() - (int64_t)body.order.corr_lo;
        histogram_record(sim->taken, passed_ns > 0 ? (uint64_t)passed_ns : 0, sim->ord.next - 1);
    }
    switch (msg.type) {
    case MSG_ORDER_REQUEST: request_take(sim, &body.order, meta.topic, mono_ns); break;
    case MSG_ORDER_STATUS_REQUEST: question_order(sim, &body.status); break;
    case MSG_MASS_STATUS_REQUEST: question_mass(sim, &body.mass); break;
    case MSG_MASS_CANCEL: mass_take(sim, &body.cancel); break;
    case MSG_SNAPSHOT_REQUEST: question_snapshot(sim, &body.snapshot); break;
    default: break;
    }
    return true;
}

/* ---- engine lives ------------------------------------------------------------------------------------------------- */

static void epoch_say(sim_t *sim, uint32_t epoch)
{
    atomic_store_explicit(&sim->ctx->control->epoch, epoch, memory_order_release);
}

/* The ord ring of an engine's segment, behind `taken`. The epoch says which ring `taken` counts in, so it is unsaid
 * while the two do not agree. JOINING means that nothing of the ring was taken, so it is not said where a life before
 * took some of it: that is the first ring of ours, and who dies with nothing said has all passed over. */
static err_t life_join(sim_t *sim, const segment_t *segment, uint64_t taken)
{
    const ring_row_t *row   = topology_ring(RING_ID_ORD_SIM);
    ring_cursor_t    *own   = &sim->ctx->cursors[RING_ID_ORD_SIM];
    size_t            bytes = 0;
    const void       *ring  = segment_find(segment, row->object, row->kind, &bytes);
    if (ring == NULL) {
        return err_set(ERR_NOT_FOUND, "%s.%u has no ring %s", segment->head->role, segment->gen, row->object);
    }
    epoch_say(sim, taken == 0 ? segment->epoch | SIM_EPOCH_JOINING : 0);
    const err_t err = lossless_reader_join(&sim->ord, ring, bytes, own, taken);
    if (err != ERR_OK) {
        return err;
    }
    sim->clock = segment_part(segment, "clock", SEGMENT_BLOB, sizeof *sim->clock);
    epoch_say(sim, segment->epoch);
    return ERR_OK;
}

/* Join the next ring there is: the oldest unread life's, else the newest engine's. One that cannot be joined is passed
 * over: what was in it is asked about. */
static void life_next(sim_t *sim)
{
    while (!sim->joined && sim->life_count > 0) {
        if (life_join(sim, &sim->lives[0].segment, sim->lives[0].taken) == ERR_OK) {
            sim->joined = true;
            sim->newest = false;
            return;
        }
        log_write(&sim->ctx->log, LOG_ERROR, "old engine's ring: %s", err_msg());
        segment_close(&sim->lives[0].segment);
        memmove(sim->lives, sim->lives + 1, --sim->life_count * sizeof sim->lives[0]);
    }
    const segment_t *now = &sim->ctx->peer[ROLE_ENGINE];
    if (sim->joined || now->head == NULL || sim->engine == NULL) {
        return;
    }
    if (life_join(sim, now, sim->newest_taken) != ERR_OK) {
        log_write(&sim->ctx->log, LOG_ERROR, "engine's ring: %s", err_msg());
        return;
    }
    sim->joined = sim->newest = true;
    for (uint32_t i = 0; i < SIM_VENUES_MAX; i++) {
        sim->venues[i].linked = sim->venues[i].lost = false; /* the new one is told anew */
    }
}

static void life_end(sim_t *sim)
{
    segment_close(&sim->lives[0].segment);
    memmove(sim->lives, sim->lives + 1, --sim->life_count * sizeof sim->lives[0]);
    sim->joined = false;
    sim->clock  = NULL;
}

static uint32_t ord_read(sim_t *sim, int64_t mono_ns)
{
    uint32_t count = 0;
    life_next(sim);
    while (sim->joined && count < ORD_BATCH) {
        if (ord_next(sim, mono_ns)) {
            count++;
            continue;
        }
        ring_meta_t meta;
        const void *payload;
        if (sim->newest || lossless_peek(&sim->ord, &meta, &payload) != ERR_EMPTY) {
            break;
        }
        life_end(sim); /* a dead engine's ring, read to its end */
        life_next(sim);
    }
    return count;
}

/* What we use of the newest engine beside its ord ring. */
static void engine_look(sim_t *sim)
{
    const segment_t *seg   = &sim->ctx->peer[ROLE_ENGINE];
    size_t           bytes = 0;
    sim->engine            = NULL;
    sim->records           = (records_reader_t){0};
    if (seg->head == NULL) {
        return;
    }
    const void *places = segment_find(seg, topology_record_name(RECORD_ID_INSTRUMENTS), SEGMENT_RECORDS, &bytes);
    const ring_cursor_t *cursors = segment_part(seg, "cursors", SEGMENT_CURSORS, RING_ID_COUNT * sizeof *cursors);
    sim->engine                  = segment_part(seg, "control", SEGMENT_CONTROL, sizeof *sim->engine);
    sim->engine_epoch            = seg->epoch;
    if (places == NULL || cursors == NULL || sim->engine == NULL ||
        records_reader_join(&sim->records, places, bytes) != ERR_OK) {
        log_write(&sim->ctx->log, LOG_ERROR, "engine's segment %u: %s", seg->gen, err_msg());
        sim->engine = NULL;
        return;
    }
    lossless_writer_cursor(&sim->exec, &cursors[RING_ID_EXEC_SIM]);
}

static void journal_look(sim_t *sim)
{
    sim->durable = segment_part(&sim->ctx->peer[ROLE_JOURNAL], "durable", SEGMENT_CURSORS, sizeof *sim->durable);
}

void sim_news(sim_t *sim, role_t role, int64_t mono_ns)
{
    segment_t *before = &sim->ctx->peer_before[ROLE_ENGINE];
    if (role == ROLE_JOURNAL) {
        journal_look(sim);
    }
    if (role != ROLE_ENGINE) {
        return;
    }
    if (before->head != NULL && sim->life_count < SIM_LIVES_MAX) {
        /* its mapping is ours from here on: we may be in the middle of its ring when the next news come */
        const bool reading            = sim->joined && sim->newest;
        sim->lives[sim->life_count++] = (sim_life_t){.segment = *before, .taken = reading ? 0 : sim->newest_taken};
        sim->newest                   = false;
        *before                       = (segment_t){.fd = -1};
    } else if (before->head != NULL) {
        log_write(&sim->ctx->log, LOG_ERROR, "more than %u unread engine lives: one is passed over", SIM_LIVES_MAX);
        sim->joined = sim->joined && !sim->newest;
    }
    sim->newest_taken     = 0;
    sim->progress         = 0;
    sim->progress_mono_ns = mono_ns;
    sim->failed_mono_ns   = 0;
    engine_look(sim);
}

/* ---- instruments -------------------------------------------------------------------------------------------------- */

static void ask_snapshot(sim_t *sim, uint32_t id)
{
    const snapshot_req_t ask = {.instrument_id = id, .reason = FEED_REASON_START};
    link_put(sim, 0, &(msg_t){.type = MSG_SNAPSHOT_REQUEST, .body = &ask});
}

static void define(sim_t *sim, sim_ins_t *at, int64_t mono_ns)
{
    if (mono_ns - at->defined_mono_ns >= DEFINE_AGAIN_NS && to_engine_define(&sim->exec, &at->ins) == ERR_OK) {
        at->defined_mono_ns = mono_ns;
        sim->wrote++;
    }
}

/* Generated market: the ids of the venue's instruments. An id, once known, holds: ids are in the journal; if they turn out
 * to be others after all (a journal that lost its tail), the engine's word counts. */
static void map_generated(sim_t *sim, int64_t mono_ns)
{
    const bool sure = atomic_load_explicit(&sim->engine->state, memory_order_acquire) == ROLE_RUN;
    for (uint32_t id = 1; id <= SIM_INSTRUMENTS_MAX; id++) {
        sim_ins_t     *at  = &sim->ins[id];
        const uint32_t now = at->listed ? to_engine_find(&sim->records, at->ins.def.venue_id, at->ins.symbol) : 0;
        if (now != 0 && now <= SIM_INSTRUMENTS_MAX && now != at->engine_id) {
            sim->by_engine[at->engine_id] = 0;
            sim->by_engine[now]           = id;
            at->engine_id                 = now;
            ask_snapshot(sim, id); /* what came before had no name */
        } else if (at->listed && now == 0 && sure) {
            define(sim, at, mono_ns);
        }
    }
}

/* Recorded market: the venue is told what the engine knows. */
static void map_recorded(sim_t *sim)
{
    to_engine_buf_t buf;
    msg_t           msg;
    for (uint32_t id = 1; id <= SIM_INSTRUMENTS_MAX; id++) {
        sim_ins_t *at = &sim->ins[id];
        if (at->listed || !link_room(sim) || !to_engine_instrument(&sim->records, id, &buf, &msg) ||
            instrument_init(&at->ins, msg.body, msg.text, msg.tail, msg.tail_count) != ERR_OK ||
            !link_put(sim, id, &msg)) {
            continue;
        }
        at->listed         = 1;
        at->engine_id      = id;
        sim->by_engine[id] = id;
    }
}

static bool mapped(const sim_t *sim)
{
    for (uint32_t id = 1; id <= SIM_INSTRUMENTS_MAX; id++) {
        if (sim->ins[id].listed && sim->ins[id].engine_id == 0) {
            return false;
        }
    }
    return true;
}

static void map(sim_t *sim, int64_t mono_ns)
{
    if (mono_ns < sim->map_mono_ns || sim->engine == NULL || !link_up(sim)) {
        return;
    }
    if (sim->recorded) {
        map_recorded(sim);
    } else {
        map_generated(sim, mono_ns);
    }
    sim->map_mono_ns = mono_ns + (mapped(sim) ? MAP_NS : MAP_SOON_NS);
}

/* ---- from the venue ----------------------------------------------------------------------------------------------- */

static err_t on_definition(sim_t *sim, uint32_t id, const msg_t *msg)
{
    instrument_def_t def = *(const instrument_def_t *)msg->body;
    instrument_t     ins;
    def.instrument_id = id;
    if (id == 0 || id > SIM_INSTRUMENTS_MAX) {
        return err_set(ERR_LIMIT, "venue's instrument %s has id %u, limit 1..%u", msg->text, id, SIM_INSTRUMENTS_MAX);
    }
    const err_t err = instrument_init(&ins, &def, msg->text, msg->tail, msg->tail_count);
    if (err != ERR_OK) {
        return err;
    }
    sim_ins_t *at = &sim->ins[id];
    if (strcmp(at->ins.symbol, ins.symbol) != 0 || at->ins.def.venue_id != ins.def.venue_id) {
        at->engine_id       = 0;
        at->defined_mono_ns = -DEFINE_AGAIN_NS;
    }
    at->ins          = ins;
    at->listed       = 1;
    sim->map_mono_ns = 0;
    return ERR_OK;
}

static err_t on_control(sim_t *sim, const control_t *control)
{
    if (control->kind != CONTROL_SESSION || control->scope_type != SCOPE_VENUE || control->scope_id >= SIM_VENUES_MAX) {
        return err_set(ERR_PARSE, "venue: control of kind %u, scope %u, id %u", control->kind, control->scope_type,
                       control->scope_id);
    }
    sim_venue_row_t *venue = &sim->venues[control->scope_id];
    venue->session         = control->value;
    venue->told            = true;
    if (venue->linked && !venue->lost) {
        exec_control(sim, CONTROL_SESSION, control->scope_id, control->value);
    }
    return ERR_OK;
}

/* The venue's id of an instrument becomes the engine's; 0 stays 0. false: one that was never defined. */
static bool id_ours(const sim_t *sim, uint32_t *id)
{
    if (*id > SIM_INSTRUMENTS_MAX || (*id != 0 && !sim->ins[*id].listed)) {
        return false;
    }
    *id = *id == 0 ? 0 : sim->ins[*id].engine_id;
    return true;
}

static err_t on_market(sim_t *sim, const msg_t *msg, int64_t utc_ns)
{
    union {
        book_update_t book;
        trade_t       trade;
        top_t         top;
    } body;
    memcpy(&body, msg->body, msg_body_size(msg->type));
    uint32_t id = *(const uint32_t *)msg->body; /* the first member of each */
    if (!id_ours(sim, &id)) {
        return err_set(ERR_PARSE, "venue: %s of instrument %u, which is not defined", msg_type_str(msg->type), id);
    }
    if (id == 0) {
        return ERR_OK; /* no name yet; a snapshot is asked for when it has one */
    }
    switch (msg->type) {
    case MSG_BOOK_UPDATE:
        body.book.instrument_id = id;
        body.book.ts_recv_ns    = utc_ns;
        break;
    case MSG_TRADE:
        body.trade.instrument_id = id;
        body.trade.ts_recv_ns    = utc_ns;
        break;
    default:
        body.top.instrument_id = id;
        body.top.ts_recv_ns    = utc_ns;
        break;
    }
    md_tell(sim, id, &(msg_t){.type = msg->type, .body = &body, .tail = msg->tail, .tail_count = msg->tail_count});
    return ERR_OK;
}

static err_t on_report(sim_t *sim, const exec_report_t *told, int64_t utc_ns)
{
    exec_report_t report = *told;
    if (!id_ours(sim, &report.instrument_id) || told->account_id == 0 || told->account_id > SIM_ACCOUNTS_MAX) {
        return err_set(ERR_PARSE, "venue: report on instrument %u, account %u: not defined, or no account of 1..%u",
                       told->instrument_id, told->account_id, SIM_ACCOUNTS_MAX);
    }
    report.ts_recv_ns = utc_ns;
    sim_orders_report(sim->orders, &report);
    exec_report(sim, &report);
    return ERR_OK;
}

static err_t on_mass_status(sim_t *sim, const mass_status_t *told)
{
    mass_status_t status = *told;
    if (!id_ours(sim, &status.instrument_id)) {
        return err_set(ERR_PARSE, "venue: position in instrument %u, which is not defined", told->instrument_id);
    }
    if ((status.request_id & OWN_QUESTION) == 0) {
        exec_tell(sim, status.instrument_id, &(msg_t){.type = MSG_MASS_STATUS, .body = &status});
    }
    return ERR_OK;
}

static err_t on_frame(sim_t *sim, uint32_t topic, const msg_t *msg, int64_t utc_ns)
{
    switch (msg->type) {
    case MSG_BOOK_UPDATE:
    case MSG_TRADE:
    case MSG_TOP: return on_market(sim, msg, utc_ns);
    case MSG_EXEC_REPORT: return on_report(sim, msg->body, utc_ns);
    case MSG_MASS_STATUS: return on_mass_status(sim, msg->body);
    case MSG_CONTROL: return on_control(sim, msg->body);
    case MSG_INSTRUMENT_DEF: return on_definition(sim, topic, msg);
    default: return err_set(ERR_PARSE, "venue: %s is nothing that a venue says", msg_type_str(msg->type));
    }
}

/* One frame gives at most one message for exec, so room for one is enough to go on. */
static uint32_t link_read(sim_t *sim, int64_t mono_ns)
{
    uint32_t count  = 0;
    int64_t  utc_ns = role_utc_ns();
    err_t    err    = ERR_OK;
    while (err == ERR_OK && link_up(sim) && count < FRAME_BATCH) {
        uint32_t topic;
        msg_t    msg;
        if (sim->answer_count > 0 || !exec_has_room(sim)) {
            counter_add(sim->ctx->counters, COUNTER_RING_FULL, 1);
            break;
        }
        err = frame_link_next(&sim->link, &topic, &msg);
        if (err == ERR_AGAIN) {
            err    = frame_link_fill(&sim->link);
            utc_ns = role_utc_ns();
        } else if (err == ERR_OK) {
            err = on_frame(sim, topic, &msg, utc_ns);
            count++;
        }
    }
    if (err != ERR_OK && err != ERR_AGAIN) {
        sim_disconnected(sim, err_msg(), mono_ns);
    }
    return count;
}

/* ---- session ------------------------------------------------------------------------------------------------------ */

static void pending_sent(sim_t *sim)
{
    while (sim->pending_count > 0 && sim->pending[sim->pending_head].start < sim->link.sent) {
        sim->pending_head = (sim->pending_head + 1) % SIM_PENDING_MAX;
        sim->pending_count--;
    }
}

static void link_flush(sim_t *sim, int64_t mono_ns)
{
    if (link_up(sim)) {
        const err_t err = frame_link_flush(&sim->link);
        pending_sent(sim);
        if (err != ERR_OK && err != ERR_AGAIN) {
            sim_disconnected(sim, err_msg(), mono_ns);
        }
    }
}

/* What never began to leave: as if it had not been tried; what is held, too: after the next VENUE_LINK 1 the venue is
 * asked about it, and what it does not know is dead for the engine. */
static void pending_refuse(sim_t *sim)
{
    for (; sim->pending_count > 0; sim->pending_count--) {
        const order_req_t *req   = &sim->pending[sim->pending_head].req;
        const bool         first = req->action == ORDER_ACTION_NEW;
        sim_order_t       *order = sim_orders_find(sim->orders, first ? req->cl_ord_id : req->orig_cl_ord_id);
        if (order != NULL && first) {
            sim_orders_drop(sim->orders, order);
        } else if (order != NULL) {
            order->waiting -= order->waiting > 0;
        }
        refuse(sim, req, RISK_VENUE_DOWN);
        sim->pending_head = (sim->pending_head + 1) % SIM_PENDING_MAX;
    }
    for (uint32_t i = 0; i < sim->held_count; i++) {
        refuse(sim, &sim->held[i].req, RISK_VENUE_DOWN);
    }
    sim->held_count = 0;
}

static void books_break(sim_t *sim)
{
    for (uint32_t id = 1; !sim->recorded && id <= SIM_INSTRUMENTS_MAX; id++) {
        if (sim->ins[id].engine_id != 0) {
            const feed_state_t state = {.instrument_id = sim->ins[id].engine_id,
                                        .health        = FEED_BROKEN,
                                        .reason        = FEED_REASON_LOST,
                                        .ts_recv_ns    = role_utc_ns()};
            md_tell(sim, state.instrument_id, &(msg_t){.type = MSG_FEED_STATE, .body = &state});
        }
    }
}

void sim_disconnected(sim_t *sim, const char *why, int64_t mono_ns)
{
    log_write(&sim->ctx->log, LOG_WARN, "%s: connecting again", why);
    pending_sent(sim);
    sim_count(sim);
    frame_link_close(&sim->link);
    pending_refuse(sim);
    books_break(sim);
    for (uint32_t i = 0; i < SIM_ORDERS_MAX; i++) {
        sim_order_t *order = &sim->orders->rows[i];
        order->lost |= order->waiting > 0;
        order->waiting     = 0;
        order->cancel_sent = 0;
    }
    for (uint32_t i = 0; i <= SIM_INSTRUMENTS_MAX; i++) {
        sim->ins[i].listed = 0;
    }
    for (uint32_t i = 0; i < SIM_VENUES_MAX; i++) {
        sim->venues[i].told = false;
        sim->venues[i].lost = sim->venues[i].linked;
    }
    sim->lost_row      = 0;
    sim->retry_mono_ns = mono_ns + sim->retry_ns;
    sim->retry_ns      = 2 * sim->retry_ns < SIM_RETRY_NS_MAX ? 2 * sim->retry_ns : SIM_RETRY_NS_MAX;
}

void sim_connected(sim_t *sim, int fd)
{
    frame_link_open(&sim->link, fd, sim->in, SIM_IN_BYTES, sim->out, SIM_OUT_BYTES);
    sim->counted_sent = sim->counted_received = 0;
    sim->pending_head = sim->pending_count = 0;
    sim->map_mono_ns                       = 0;
    sim->ask                               = true;
    counter_add(sim->ctx->counters, COUNTER_RECONNECTS, 1);
    log_write(&sim->ctx->log, LOG_INFO, "connected to the venue");
}

static void link_connect(sim_t *sim, int64_t mono_ns)
{
    if (link_up(sim) || sim->dir_fd < 0 || mono_ns < sim->retry_mono_ns) {
        return;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/venue.sock", sim->dir_fd);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        sim->retry_ns = SIM_RETRY_NS_MIN;
        sim_connected(sim, fd);
        return;
    }
    log_write(&sim->ctx->log, LOG_WARN, "venue.sock: %s", strerror(errno));
    if (fd >= 0) {
        close(fd);
    }
    sim->retry_mono_ns = mono_ns + sim->retry_ns;
    sim->retry_ns      = 2 * sim->retry_ns < SIM_RETRY_NS_MAX ? 2 * sim->retry_ns : SIM_RETRY_NS_MAX;
}

/* Orders whose request was on its way when the connection went. */
static void lost_tell(sim_t *sim)
{
    for (; sim->lost_row < SIM_ORDERS_MAX; sim->lost_row++) {
        sim_order_t *order = &sim->orders->rows[sim->lost_row];
        if (order->cl_ord_id == 0 || !order->lost) {
            continue;
        }
        if (sim->answer_count > 0 || !exec_has_room(sim)) {
            return;
        }
        const exec_report_t report = {.cl_ord_id     = order->cl_ord_id,
                                      .corr_hi       = order->corr_hi,
                                      .corr_lo       = order->corr_lo,
                                      .account_id    = order->account_id,
                                      .strategy_id   = order->strategy_id,
                                      .instrument_id = order->instrument_id,
                                      .exec_type     = EXEC_TYPE_TIMEOUT,
                                      .side          = order->side,
                                      .cum_qty       = -1,
                                      .leaves_qty    = -1,
                                      .ts_recv_ns    = role_utc_ns()};
        order->lost                = 0;
        exec_report(sim, &report);
    }
}

/* What the simulated venue knows. No day ends there, so DAY is the engine's; reduce-only and self-trades are, too. */
static void exec_define(sim_t *sim, uint32_t venue_id)
{
    const venue_def_t def = {.ord_types = 1u << ORD_TYPE_LIMIT | 1u << ORD_TYPE_MARKET,
                             .tifs      = 1u << TIF_GTC | 1u << TIF_IOC | 1u << TIF_FOK,
                             .features  = VENUE_REPLACE | VENUE_MASS_CANCEL | VENUE_POST_ONLY,
                             .venue_id  = (uint16_t)venue_id};
    exec_tell(sim, 0, &(msg_t){.type = MSG_VENUE_DEF, .body = &def});
}

/* What the engine is to know of the links: 0 as soon as there is no session, 1 when everything is in place. */
static void links_tell(sim_t *sim)
{
    const bool ready = link_up(sim) && sim->newest && sim->joined && sim->lost_row == SIM_ORDERS_MAX &&
                       sim->answer_count == 0 && mapped(sim);
    for (uint32_t i = 1; i < SIM_VENUES_MAX; i++) {
        sim_venue_row_t *venue = &sim->venues[i];
        if (venue->lost && exec_has_room(sim)) {
            venue->linked = venue->lost = false;
            exec_control(sim, CONTROL_VENUE_LINK, i, 0);
        }
        if (ready && venue->told && !venue->linked && lossless_room(&sim->exec, 3) >= 3) {
            venue->linked = true;
            exec_define(sim, i);
            exec_control(sim, CONTROL_SESSION, i, venue->session);
            exec_control(sim, CONTROL_VENUE_LINK, i, 1);
        }
    }
}

/* ---- silence ------------------------------------------------------------------------------------------------------ */

static bool engine_silent(sim_t *sim, int64_t mono_ns)
{
    const uint32_t state     = atomic_load_explicit(&sim->engine->state, memory_order_acquire);
    const int64_t  heartbeat = atomic_load_explicit(&sim->engine->heartbeat_mono_ns, memory_order_relaxed);
    const uint64_t progress  = atomic_load_explicit(&sim->engine->progress, memory_order_relaxed);
    if (progress != sim->progress) {
        sim->progress         = progress;
        sim->progress_mono_ns = mono_ns;
    }
    sim->failed_mono_ns = state != ROLE_FAIL ? 0 : sim->failed_mono_ns ? sim->failed_mono_ns : mono_ns;
    switch (state) {
    case ROLE_STATE_NONE:
    case ROLE_BOOT:
    case ROLE_RECOVERING: return mono_ns - sim->progress_mono_ns > SIM_RECOVER_NS;
    case ROLE_HALT: return atomic_load_explicit(&sim->ctx->words->stop, memory_order_acquire) == 0;
    case ROLE_FAIL: return mono_ns - sim->failed_mono_ns > SIM_FAILED_NS;
    default: return mono_ns - (heartbeat > sim->opened_mono_ns ? heartbeat : sim->opened_mono_ns) > SIM_SILENT_NS;
    }
}

static void silence_begin(sim_t *sim)
{
    sim->silent_epoch = sim->engine_epoch;
    sim->ask          = true;
    words_fence_raise(sim->ctx->words, sim->engine_epoch + 1);
    log_write(&sim->ctx->log, LOG_ERROR, "engine of epoch %u is silent (%s): fence %u, %u orders are cancelled",
              sim->engine_epoch, role_state_str(atomic_load_explicit(&sim->engine->state, memory_order_relaxed)),
              sim->engine_epoch + 1, sim->orders->count);
}

/* Orders that a life before ours sent are told by the venue, and then cancelled like ours. */
static void silence_ask(sim_t *sim)
{
    if (!sim->ask || frame_link_room(&sim->link) < (SIM_ACCOUNTS_MAX + 1) * FRAME_MAX) {
        return;
    }
    for (uint32_t account = 1; account <= SIM_ACCOUNTS_MAX; account++) {
        const mass_status_req_t ask = {
            .request_id = OWN_QUESTION | account, .since_utc_ns = INT64_MAX, .account_id = account};
        link_put(sim, 0, &(msg_t){.type = MSG_MASS_STATUS_REQUEST, .body = &ask});
    }
    sim->ask = false;
}

static void silence_cancel(sim_t *sim)
{
    for (uint32_t i = 0; i < SIM_ORDERS_MAX && frame_link_room(&sim->link) >= FRAME_MAX; i++) {
        sim_order_t *order = &sim->orders->rows[i];
        if (order->cl_ord_id == 0 || order->cancel_sent) {
            continue;
        }
        const order_req_t cancel = {.cl_ord_id      = cl_ord_id_make(sim->engine_epoch, SIM_ORIGIN, ++sim->own_ids),
                                    .orig_cl_ord_id = order->cl_ord_id,
                                    .corr_hi        = order->corr_hi,
                                    .corr_lo        = order->corr_lo,
                                    .tenant_id      = order->tenant_id,
                                    .account_id     = order->account_id,
                                    .strategy_id    = order->strategy_id,
                                    .instrument_id  = venue_instrument_of(sim, order->instrument_id),
                                    .action         = ORDER_ACTION_CANCEL,
                                    .side           = order->side};
        order->cancel_sent       = link_put(sim, 0, &(msg_t){.type = MSG_ORDER_REQUEST, .body = &cancel});
        counter_add(sim->ctx->counters, COUNTER_CANCELS, order->cancel_sent);
    }
}

static void silence(sim_t *sim, int64_t mono_ns)
{
    if (sim->engine == NULL) {
        return;
    }
    if (sim->silent_epoch != sim->engine_epoch && engine_silent(sim, mono_ns)) {
        silence_begin(sim);
    }
    if (sim->silent_epoch == sim->engine_epoch && link_up(sim)) {
        silence_ask(sim);
        silence_cancel(sim);
    }
}

/* ---- the turn ----------------------------------------------------------------------------------------------------- */

uint32_t sim_turn(sim_t *sim, int64_t mono_ns)
{
    sim->wrote = 0;
    answers_flush(sim);
    link_connect(sim, mono_ns);
    map(sim, mono_ns);
    uint32_t work = ord_read(sim, mono_ns);
    work += held_release(sim, mono_ns);
    link_flush(sim, mono_ns); /* orders first */
    work += link_read(sim, mono_ns);
    lost_tell(sim);
    links_tell(sim);
    silence(sim, mono_ns);
    link_flush(sim, mono_ns);
    if (sim->wrote > 0) {
        role_bell(sim->ctx, ROLE_ENGINE);
    }
    counter_add(sim->ctx->counters, COUNTER_TURNS, 1);
    return work;
}

bool sim_reads(sim_t *sim)
{
    return sim->answer_count == 0 && exec_has_room(sim);
}

bool sim_more(const sim_t *sim)
{
    ring_meta_t meta;
    const void *payload;
    return sim->joined && lossless_peek(&sim->ord, &meta, &payload) == ERR_OK;
}

int64_t sim_sleep_ns(const sim_t *sim, int64_t mono_ns)
{
    int64_t ns = 100 * NS_PER_MS;
    if (sim->answer_count > 0 || sim->held_count > 0 || sim->lost_row < SIM_ORDERS_MAX || !mapped(sim)) {
        ns = NS_PER_MS; /* nobody rings when these can go on */
    }
    if (!link_up(sim) && sim->retry_mono_ns - mono_ns < ns) {
        ns = sim->retry_mono_ns > mono_ns ? sim->retry_mono_ns - mono_ns : 0;
    }
    return ns;
}

void sim_count(sim_t *sim)
{
    counter_add(sim->ctx->counters, COUNTER_SENT_BYTES, sim->link.sent - sim->counted_sent);
    counter_add(sim->ctx->counters, COUNTER_RECV_BYTES, sim->link.received - sim->counted_received);
    sim->counted_sent     = sim->link.sent;
    sim->counted_received = sim->link.received;
    counter_set(sim->ctx->counters, COUNTER_HELD, sim->held_count);
    histogram_epoch(sim->taken, role_mono_ns());
}

/* ---- beginning ---------------------------------------------------------------------------------------------------- */

static err_t rings_open(sim_t *sim)
{
    const ring_row_t *md_row = topology_ring(RING_ID_MD_SIM), *exec_row = topology_ring(RING_ID_EXEC_SIM);
    size_t            md_bytes = 0, exec_bytes = 0;
    void             *md          = segment_find(&sim->ctx->own, md_row->object, md_row->kind, &md_bytes);
    void             *exec        = segment_find(&sim->ctx->own, exec_row->object, exec_row->kind, &exec_bytes);
    size_t            taken_bytes = 0;
    void             *taken       = segment_find(&sim->ctx->own, "taken", SEGMENT_HISTOGRAM, &taken_bytes);
    if (md == NULL || exec == NULL) {
        return err_set(ERR_INTERNAL, "sim: its segment lacks a ring");
    }
    err_t err = histogram_writer_join(taken, taken_bytes, &sim->taken);
    err       = err != ERR_OK ? err : ring_writer_join(&sim->md, md, md_bytes);
    return err != ERR_OK ? err : lossless_writer_join(&sim->exec, exec, exec_bytes);
}

/* All old engines that we were given, oldest first. The newest is no old one, also where it was given with them: it would
 * be read twice, and what a life before took be told as never sent. */
static void lives_collect(sim_t *sim)
{
    role_ctx_t      *ctx    = sim->ctx;
    const segment_t *newest = &ctx->peer[ROLE_ENGINE];
    if (ctx->peer_before[ROLE_ENGINE].head != NULL) {
        sim->lives[sim->life_count++].segment = ctx->peer_before[ROLE_ENGINE];
        ctx->peer_before[ROLE_ENGINE]         = (segment_t){.fd = -1};
    }
    for (uint32_t i = 0; i < ctx->file_count && sim->life_count < SIM_LIVES_MAX; i++) {
        segment_t seg;
        if (ctx->files[i].fd < 0 || ctx->files[i].kind != ROLE_FILE_OLD_ENGINE) {
            continue;
        }
        const err_t err  = segment_open_fd(ctx->files[i].fd, getuid(), false, &seg);
        ctx->files[i].fd = -1;
        bool known       = err != ERR_OK || (newest->head != NULL && seg.gen >= newest->gen);
        for (uint32_t k = 0; !known && k < sim->life_count; k++) {
            known = sim->lives[k].segment.gen == seg.gen;
        }
        if (!known) {
            sim->lives[sim->life_count++].segment = seg;
        } else if (err == ERR_OK) {
            segment_close(&seg);
        }
    }
    for (uint32_t i = 1; i < sim->life_count; i++) {
        for (uint32_t k = i; k > 0 && sim->lives[k].segment.gen < sim->lives[k - 1].segment.gen; k--) {
            const sim_life_t swap = sim->lives[k];
            sim->lives[k]         = sim->lives[k - 1];
            sim->lives[k - 1]     = swap;
        }
    }
}

static void lives_drop(sim_t *sim, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        segment_close(&sim->lives[i].segment);
    }
    sim->life_count -= count;
    memmove(sim->lives, sim->lives + count, sim->life_count * sizeof sim->lives[0]);
}

static uint64_t life_written(const segment_t *segment)
{
    const ring_row_t *row   = topology_ring(RING_ID_ORD_SIM);
    size_t            bytes = 0;
    const void       *ring  = segment->head ? segment_find(segment, row->object, row->kind, &bytes) : NULL;
    lossless_reader_t reader;
    return ring && lossless_reader_join(&reader, ring, bytes, NULL, 0) == ERR_OK ? lossless_written(&reader) : 0;
}

/* Where the predecessor was: in which ring, and how far. */
static void lives_begin(sim_t *sim)
{
    const segment_t *before = &sim->ctx->peer_before[ROLE_SIM];
    const segment_t *now    = &sim->ctx->peer[ROLE_ENGINE];
    lives_collect(sim);
    const control_page_t *control = segment_part(before, "control", SEGMENT_CONTROL, sizeof *control);
    const ring_cursor_t  *cursors = segment_part(before, "cursors", SEGMENT_CURSORS, RING_ID_COUNT * sizeof *cursors);
    const uint32_t        said    = control ? atomic_load_explicit(&control->epoch, memory_order_acquire) : 0;
    const uint32_t        epoch   = said & ~SIM_EPOCH_JOINING;
    uint64_t              taken   = 0;
    if (cursors != NULL && (said & SIM_EPOCH_JOINING) == 0) {
        taken = atomic_load_explicit(&cursors[RING_ID_ORD_SIM].taken, memory_order_acquire);
    }
    if (said == 0) { /* it died before it said, or is gone: nothing may be sent twice, so all is passed over */
        const uint32_t dropped = sim->life_count;
        lives_drop(sim, dropped);
        sim->newest_taken = life_written(now);
        if (before->head != NULL || dropped > 0 || sim->newest_taken > 0) { /* else it is the first life of all */
            log_write(&sim->ctx->log, LOG_WARN,
                      "the life before said nothing: %" PRIu64 " requests, and %u older rings, are passed over",
                      sim->newest_taken, dropped);
        }
        return;
    }
    uint32_t read = 0;
    while (read < sim->life_count && sim->lives[read].segment.epoch < epoch) {
        read++;
    }
    lives_drop(sim, read);
    if (sim->life_count > 0 && sim->lives[0].segment.epoch == epoch) {
        sim->lives[0].taken = taken;
    } else if (now->head != NULL && now->epoch == epoch) {
        sim->newest_taken = taken;
    }
}

err_t sim_open(sim_t *sim, role_ctx_t *ctx, const char *connect_dir)
{
    *sim                  = (sim_t){.ctx            = ctx,
                                    .link           = {.fd = -1},
                                    .recorded       = ctx->config->capture.files_count > 0,
                                    .power          = ctx->config->journal.durability == DURABILITY_POWER,
                                    .lost_row       = SIM_ORDERS_MAX,
                                    .opened_mono_ns = role_mono_ns(),
                                    .retry_ns       = SIM_RETRY_NS_MIN,
                                    .dir_fd         = -1};
    sim->progress_mono_ns = sim->opened_mono_ns;
    lives_begin(sim);
    err_t err = rings_open(sim);
    if (err != ERR_OK) {
        return err;
    }
    engine_look(sim);
    journal_look(sim);
    life_next(sim); /* first of all: a successor of ours must find where we are */
    sim->in      = calloc(1, SIM_IN_BYTES);
    sim->out     = calloc(1, SIM_OUT_BYTES);
    sim->orders  = sim_orders_new();
    sim->answers = calloc(SIM_ANSWERS_MAX, sizeof *sim->answers);
    sim->pending = calloc(SIM_PENDING_MAX, sizeof *sim->pending);
    sim->held    = calloc(SIM_HELD_MAX, sizeof *sim->held);
    if (!sim->in || !sim->out || !sim->orders || !sim->answers || !sim->pending || !sim->held) {
        return err_set(ERR_LIMIT, "sim: out of memory");
    }
    for (uint32_t i = 0; i <= SIM_INSTRUMENTS_MAX; i++) {
        sim->ins[i].defined_mono_ns = -DEFINE_AGAIN_NS;
    }
    if (connect_dir != NULL && (sim->dir_fd = open(connect_dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) {
        return err_set(ERR_IO, "%s: %s", connect_dir, strerror(errno));
    }
    return ERR_OK;
}

void sim_close(sim_t *sim)
{
    sim_count(sim);
    frame_link_close(&sim->link);
    lives_drop(sim, sim->life_count);
    free(sim->in);
    free(sim->out);
    free(sim->orders);
    free(sim->answers);
    free(sim->pending);
    free(sim->held);
    if (sim->dir_fd >= 0) {
        close(sim->dir_fd);
    }
}
