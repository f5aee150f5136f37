#include "tools/engine_loop.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "core/engine/engine_view.h"
#include "ipc/message.h"
#include "ipc/record.h"
#include "ipc/role.h"

#define TENANT_ID 1u /* one tenant an instance */

_Static_assert(sizeof(((engine_loop_t *)0)->held) >= MESSAGE_BYTES_MAX, "any message can be held");

/* ---- what goes where ---------------------------------------------------------------------------------------------- */
bool engine_output_journaled(msg_type_t type)
{
    return type == MSG_VERDICT || type == MSG_EXEC_REPORT || type == MSG_AUDIT || engine_output_sent(type);
}

bool engine_output_sent(msg_type_t type)
{
    return type == MSG_ORDER_REQUEST || type == MSG_ORDER_TERMS_REQUEST || type == MSG_MASS_CANCEL ||
           type == MSG_ORDER_STATUS_REQUEST || type == MSG_MASS_STATUS_REQUEST || type == MSG_SNAPSHOT_REQUEST;
}

static bool control_allowed(const control_t *control)
{
    return control->kind == CONTROL_VENUE_LINK || control->kind == CONTROL_SESSION ||
           (control->kind == CONTROL_UNRECONCILED && control->value == 1);
}

bool engine_message_allowed(record_source_t source, const msg_t *msg)
{
    switch (msg->type) {
    case MSG_BOOK_UPDATE:
    case MSG_MBO_UPDATE:
    case MSG_TRADE:
    case MSG_TOP:
    case MSG_FEED_STATE: return source == RECORD_SOURCE_MD;
    case MSG_INSTRUMENT_DEF:
    case MSG_EXEC_REPORT:
    case MSG_MASS_STATUS:
    case MSG_VENUE_DEF:
    case MSG_VENUE_BUDGET:
    case MSG_FX_RATE:
    case MSG_CASH_MOVE:
    case MSG_MISC_FEE: return source == RECORD_SOURCE_EXEC;
    case MSG_CONTROL: return source == RECORD_SOURCE_EXEC && control_allowed(msg->body);
    default: return false;
    }
}

role_t engine_md_role(const config_t *config)
{
    return topology_runs(ROLE_CAPTURE, config) ? ROLE_CAPTURE : ROLE_SIM;
}

role_t engine_ord_role(uint16_t venue_id)
{
    (void)venue_id; /* the simulated venue plays all of them */
    return ROLE_SIM;
}

/* ---- room --------------------------------------------------------------------------------------------------------- */
static bool room(engine_loop_t *l)
{
    return lossless_room(&l->jrn, ENGINE_BATCH_MAX) >= ENGINE_BATCH_MAX &&
           lossless_room(&l->ord, ENGINE_TO_VENUE_MAX) >= ENGINE_TO_VENUE_MAX;
}

static bool fenced(engine_loop_t *l)
{
    if (!l->fenced && atomic_load_explicit(&l->words->fence_epoch, memory_order_acquire) > l->epoch) {
        l->fenced = true;
    }
    return l->fenced;
}

static void step(const engine_loop_t *l, engine_step_t at)
{
    if (l->at_step) {
        l->at_step(l->at_step_ctx, at);
    }
}

/* ---- one input ---------------------------------------------------------------------------------------------------- */
typedef struct origin {
    record_source_t source;
    uint32_t        gen;
    uint64_t        seq;
} origin_t;

now_t engine_now(const engine_loop_t *l)
{
    const int64_t on = role_mono_ns() + l->mono_offset_ns - l->now.mono_ns;
    const int64_t ns = on > 0 ? on : 0;
    return (now_t){.mono_ns = l->now.mono_ns + ns, .utc_ns = l->now.utc_ns + ns};
}

static now_t clock_now(engine_loop_t *l)
{
    l->began_mono_ns   = role_mono_ns();
    const int64_t mono = l->began_mono_ns + l->mono_offset_ns;
    l->now.mono_ns     = mono > l->now.mono_ns ? mono : l->now.mono_ns;
    l->now.utc_ns      = role_utc_ns();
    return l->now;
}

static uint32_t outputs_count(const engine_out_t *out)
{
    const out_rec_t *rec;
    uint32_t         count = 0;
    for (uint32_t pos = 0; (rec = engine_out_next(out, &pos));) {
        count += engine_output_journaled((msg_type_t)rec->type);
    }
    return count;
}

/* One output into a record of the batch, sealed; returns its message, len bytes. */
static const void *output_place(engine_loop_t *l, uint32_t at, const out_rec_t *rec, now_t now, uint32_t *len)
{
    const record_head_t head  = {.kind = RECORD_OUTPUT, .source = RECORD_SOURCE_ENGINE};
    const msg_t         msg   = {.type = (msg_type_t)rec->type, .body = rec + 1};
    void               *slot  = lossless_slot(&l->jrn, at);
    size_t              bytes = 0;
    const err_t         err   = message_write(&msg, record_message(slot), MESSAGE_BYTES_MAX, &bytes);
    assert(err == ERR_OK && bytes); /* the engine's own, of a type that engine_output_journaled names */
    (void)err;
    *len = (uint32_t)bytes;
    lossless_meta(&l->jrn, at,
                  &(ring_meta_t){.len    = record_seal(slot, msg.type, *len, l->sequence, now, &head),
                                 .type   = rec->type,
                                 .tenant = TENANT_ID});
    return record_message(slot);
}

/* Outputs that money depends on: into the slots behind the input's, those for adapters into ord as well. Nothing of it
 * is visible yet. last: the number of the batch's last record. Returns how many go to adapters. */
static uint32_t outputs_place(engine_loop_t *l, now_t now, uint64_t last)
{
    uint32_t         at = 0, sent = 0, len;
    const out_rec_t *rec;
    for (uint32_t pos = 0; (rec = engine_out_next(&l->out, &pos));) {
        if (!engine_output_journaled((msg_type_t)rec->type)) {
            continue;
        }
        const void *message = output_place(l, ++at, rec, now, &len);
        if (engine_output_sent((msg_type_t)rec->type)) {
            assert(sent < ENGINE_TO_VENUE_MAX);
            memcpy(lossless_slot(&l->ord, sent), message, len);
            lossless_meta(&l->ord, sent,
                          &(ring_meta_t){.len = len, .type = rec->type, .topic = (uint32_t)last, .tenant = TENANT_ID});
            sent++;
        }
    }
    return sent;
}

static void count_outputs(const engine_loop_t *l)
{
    static const counter_t of_action[] = {[ORDER_ACTION_NEW]     = COUNTER_ORDERS,
                                          [ORDER_ACTION_REPLACE] = COUNTER_REPLACES,
                                          [ORDER_ACTION_CANCEL]  = COUNTER_CANCELS};
    const out_rec_t       *rec;
    for (uint32_t pos = 0; (rec = engine_out_next(&l->out, &pos));) {
        const void *body = rec + 1;
        switch ((msg_type_t)rec->type) {
        case MSG_ORDER_REQUEST:
        case MSG_ORDER_TERMS_REQUEST:
            counter_add(l->counters, of_action[((const order_req_t *)body)->action], 1);
            break;
        case MSG_ORDER_STATUS_REQUEST:
        case MSG_MASS_STATUS_REQUEST: counter_add(l->counters, COUNTER_QUERIES, 1); break;
        case MSG_VERDICT: counter_add(l->counters, COUNTER_DENIED, ((const verdict_t *)body)->code != 0); break;
        case MSG_EXEC_REPORT: {
            const uint8_t type = ((const exec_report_t *)body)->exec_type;
            counter_add(l->counters, COUNTER_FILLS, type == EXEC_TYPE_TRADE);
            counter_add(l->counters, COUNTER_UNSENT, type == EXEC_TYPE_UNSENT);
            counter_add(l->counters, COUNTER_REJECTED,
                        type == EXEC_TYPE_REJECTED || type == EXEC_TYPE_CANCEL_REJECT ||
                            type == EXEC_TYPE_REPLACE_REJECT);
            break;
        }
        case MSG_ALARM: counter_add(l->counters, COUNTER_ALARMS, 1); break;
        default: break;
        }
    }
}

/* The message that lies in slot 0, verified, as the next input. */
static err_t apply(engine_loop_t *l, const msg_t *msg, uint32_t len, origin_t from)
{
    void          *slot    = lossless_slot(&l->jrn, 0);
    const now_t    now     = clock_now(l);
    const err_t    applied = engine_apply(l->engine, now, msg, &l->out);
    const uint32_t outputs = outputs_count(&l->out);
    assert(outputs < ENGINE_BATCH_MAX);
    l->sequence++;
    step(l, ENGINE_STEP_APPLIED);
    const uint32_t      sent = outputs_place(l, now, l->record_base + l->jrn.next + outputs);
    const record_head_t head = {.output_hash = engine_output_hash(l->engine),
                                .source_seq  = from.seq,
                                .source_gen  = from.gen,
                                .outputs     = outputs,
                                .kind        = RECORD_INPUT,
                                .source      = (uint8_t)from.source,
                                .err         = (uint32_t)applied};
    const ring_meta_t   meta = {.len    = record_seal(slot, msg->type, len, l->sequence, now, &head),
                                .type   = (uint16_t)msg->type,
                                .tenant = TENANT_ID};
    lossless_meta(&l->jrn, 0, &meta);
    lossless_commit(&l->jrn, outputs + 1);
    l->journaled = true;
    step(l, ENGINE_STEP_COMMITTED);
    if (sent && !fenced(l)) {
        lossless_commit(&l->ord, sent);
        l->sent += sent;
        histogram_record(l->decide, (uint64_t)(role_mono_ns() - l->began_mono_ns), l->sequence);
    }
    step(l, ENGINE_STEP_SENT);
    if (l->lanes.open) {
        engine_lanes_answer(l);
    }
    publish_input(&l->publish, msg, &l->out, now.utc_ns);
    counter_add(l->counters, COUNTER_INPUTS, 1);
    count_outputs(l);
    histogram_record(l->event, (uint64_t)(role_mono_ns() - l->began_mono_ns), l->sequence);
    return applied;
}

bool engine_room(engine_loop_t *l)
{
    return !fenced(l) && room(l);
}

err_t engine_input_from(engine_loop_t *l, const msg_t *msg, record_source_t source, uint32_t gen, uint64_t seq)
{
    if (!engine_room(l)) {
        return ERR_FULL;
    }
    void  *at  = record_message(lossless_slot(&l->jrn, 0));
    size_t len = 0;
    msg_t  placed;
    err_t  err = message_write(msg, at, MESSAGE_BYTES_MAX, &len);
    err        = err ? err : message_read(msg->type, at, len, &placed);
    return err ? err : apply(l, &placed, (uint32_t)len, (origin_t){.source = source, .gen = gen, .seq = seq});
}

err_t engine_input(engine_loop_t *l, const msg_t *msg)
{
    return engine_input_from(l, msg, RECORD_SOURCE_ENGINE, 0, 0);
}

static err_t own(engine_loop_t *l, msg_type_t type, const void *body)
{
    return engine_input(l, &(msg_t){.type = type, .body = body});
}

static err_t control(engine_loop_t *l, control_kind_t kind, scope_t scope, uint32_t id, int64_t value)
{
    return own(l, MSG_CONTROL,
               &(control_t){.kind = (uint8_t)kind, .scope_type = (uint8_t)scope, .scope_id = id, .value = value});
}

/* ---- what an instrument needs ------------------------------------------------------------------------------------- */
static err_t emit(void *ctx, const msg_t *msg)
{
    return engine_input(ctx, msg);
}

/* What the venue of an instrument needs follows its definition; in a new life once more, for the last one may have ended
 * between the two. Without room it waits for the next turn. */
static uint32_t instruments_follow(engine_loop_t *l)
{
    uint32_t done = 0;
    while (l->defined < engine_instrument_count(l->engine)) {
        const instrument_t *ins = engine_instrument(l->engine, l->defined + 1);
        const err_t         err = setup_instrument(l->setup, ins, emit, l);
        if (err == ERR_FULL) {
            break;
        }
        if (err) {
            log_write(l->log, LOG_ERROR, "instrument %s stays closed: %s", ins->symbol, err_msg());
        }
        l->defined++;
        done++;
    }
    return done;
}

/* The first price of an instrument comes with its first snapshot: its limits in quantities are journaled before. The
 * message waits meanwhile, for its place in the ring is used by them. */
static bool needs_price(const engine_loop_t *l, const msg_t *msg, uint32_t *id, int64_t *px)
{
    return setup_first_price(msg, id, px) && *id >= 1 && *id <= engine_instrument_count(l->engine) && !l->priced[*id];
}

/* False: no room now. */
static bool price(engine_loop_t *l, uint32_t id, int64_t px)
{
    const err_t err = setup_price(l->setup, engine_instrument(l->engine, id), px, emit, l);
    if (err == ERR_FULL) {
        return false;
    }
    if (err) {
        log_write(l->log, LOG_ERROR, "instrument %s has no limits: %s", engine_instrument(l->engine, id)->symbol,
                  err_msg());
    }
    l->priced[id] = true;
    return engine_room(l);
}

/* ---- adapters ----------------------------------------------------------------------------------------------------- */
static void refuse(engine_loop_t *l, const engine_source_t *s, origin_t from, uint32_t type, const char *why)
{
    log_write(l->log, LOG_ERROR, "%s.%s of generation %u: message %" PRIu64 " (%s) dropped: %s",
              from.source == RECORD_SOURCE_MD ? "md" : "exec", topology_role_name(s->role), from.gen, from.seq,
              msg_type_str((msg_type_t)type), why);
}

/* The message of that type and length whose bytes lie in slot 0. False: blocked; it must be read again. */
static bool take(engine_loop_t *l, const engine_source_t *s, origin_t from, uint32_t type, uint32_t len)
{
    msg_t    msg;
    uint32_t id;
    int64_t  px;
    if (message_read((msg_type_t)type, record_message(lossless_slot(&l->jrn, 0)), len, &msg) != ERR_OK) {
        refuse(l, s, from, type, err_msg());
        return true;
    }
    if (!engine_message_allowed(from.source, &msg)) {
        refuse(l, s, from, type, "not for an adapter to say here");
        return true;
    }
    if (needs_price(l, &msg, &id, &px)) {
        memcpy(l->held, record_message(lossless_slot(&l->jrn, 0)), len);
        if (!price(l, id, px)) {
            return false;
        }
        void *at = record_message(lossless_slot(&l->jrn, 0));
        memcpy(at, l->held, len);
        const err_t err = message_read((msg_type_t)type, at, len, &msg);
        assert(err == ERR_OK); /* it was, a moment ago */
        (void)err;
    }
    apply(l, &msg, len, from);
    instruments_follow(l);
    return true;
}

/* The books that are still to be told of a loss; false: no room for all of them now. */
static bool losses_tell(engine_loop_t *l, engine_source_t *s)
{
    for (; s->losing && s->losing <= engine_instrument_count(l->engine); s->losing++) {
        const feed_state_t state = {.instrument_id = s->losing,
                                    .health        = FEED_BROKEN,
                                    .reason        = FEED_REASON_LOST,
                                    .seq_from      = s->lost_from,
                                    .seq_to        = s->lost_to,
                                    .ts_recv_ns    = l->now.utc_ns};
        if (own(l, MSG_FEED_STATE, &state) == ERR_FULL) {
            return false;
        }
    }
    s->losing = 0;
    return true;
}

/* Market data was lost: no book of the ring is trusted until a snapshot. from, to: what is missing, in the ring. Nothing
 * more is read of it until all books were told. */
static void lose_books(engine_loop_t *l, engine_source_t *s, uint64_t from, uint64_t to)
{
    if (s->role == engine_md_role(l->config)) {
        s->losing    = 1;
        s->lost_from = from;
        s->lost_to   = to;
        losses_tell(l, s);
    }
}

static uint32_t take_md(engine_loop_t *l, engine_source_t *s)
{
    uint32_t done = 0;
    while (done < ENGINE_MD_BATCH && !l->sent && room(l) && !l->fenced && losses_tell(l, s)) {
        ring_meta_t    meta;
        const uint64_t wanted = s->md.next;
        const err_t    err    = ring_read(&s->md, record_message(lossless_slot(&l->jrn, 0)), MESSAGE_BYTES_MAX, &meta);
        const origin_t from   = {.source = RECORD_SOURCE_MD, .gen = s->gen, .seq = s->md.next - 1};
        if (err == ERR_EMPTY) {
            break;
        }
        done++;
        if (err == ERR_OK) {
            if (!take(l, s, from, meta.type, meta.len)) {
                ring_reader_seek(&s->md, wanted);
                break;
            }
            counter_add(l->counters, COUNTER_MD_MESSAGES, 1);
        } else if (err == ERR_GAP) {
            counter_add(l->counters, COUNTER_MD_LOST, s->md.lost_to - s->md.lost_from + 1);
            log_write(l->log, LOG_WARN, "md.%s: %" PRIu64 " messages lost, %" PRIu64 " to %" PRIu64,
                      topology_role_name(s->role), s->md.lost_to - s->md.lost_from + 1, s->md.lost_from, s->md.lost_to);
            lose_books(l, s, s->md.lost_from, s->md.lost_to);
        } else { /* a length that cannot be: the memory was damaged */
            refuse(l, s, (origin_t){.source = RECORD_SOURCE_MD, .gen = s->gen, .seq = wanted}, MSG_NONE,
                   "a length beyond the slot");
            ring_reader_seek(&s->md, wanted + 1);
            lose_books(l, s, wanted, wanted);
        }
    }
    if (done && s->md_cursor) {
        atomic_store_explicit(&s->md_cursor->taken, s->md.next - 1, memory_order_relaxed);
    }
    return done;
}

static uint32_t take_exec(engine_loop_t *l, engine_source_t *s)
{
    uint32_t done = 0;
    while (done < ENGINE_EXEC_BATCH && room(l) && !l->fenced) {
        ring_meta_t    meta = {0};
        const void    *payload;
        const origin_t from = {.source = RECORD_SOURCE_EXEC, .gen = s->gen, .seq = s->exec.next};
        const err_t    err  = lossless_peek(&s->exec, &meta, &payload);
        if (err == ERR_EMPTY) {
            break;
        }
        if (err || meta.len > MESSAGE_BYTES_MAX) {
            refuse(l, s, from, meta.type, "a length beyond the slot");
        } else {
            memcpy(record_message(lossless_slot(&l->jrn, 0)), payload, meta.len);
            if (!take(l, s, from, meta.type, meta.len)) {
                break;
            }
            counter_add(l->counters, COUNTER_EXECS, 1);
        }
        lossless_take(&s->exec);
        step(l, ENGINE_STEP_DONE);
        done++;
    }
    return done;
}

/* ---- lives of adapters -------------------------------------------------------------------------------------------- */
static err_t source_begin(engine_source_t *s, const engine_feed_t *feed)
{
    err_t err = ring_reader_join(&s->md, feed->md, feed->md_bytes, RING_OLDEST);
    if (!err) {
        ring_reader_seek(&s->md, feed->md_seq + 1);
        err = lossless_reader_join(&s->exec, feed->exec, feed->exec_bytes, s->exec_cursor, feed->exec_seq);
    }
    s->gen = err ? 0 : feed->gen;
    return err ? err_wrap(err, "%s of generation %u", topology_role_name(s->role), feed->gen) : ERR_OK;
}

/* Venues whose orders go to this adapter: nobody knows whether they can be reached before it says so. False: no room to
 * tell all of it now. */
static bool links_down(engine_loop_t *l, const engine_source_t *s)
{
    uint64_t told = 0; /* venue ids are below 64 (RISK_VENUES_MAX) */
    for (uint32_t id = 1; id <= engine_instrument_count(l->engine); id++) {
        const uint16_t venue = engine_instrument(l->engine, id)->def.venue_id;
        if (venue <= RISK_VENUES_MAX && !(told & 1ull << venue) && engine_ord_role(venue) == s->role) {
            told |= 1ull << venue;
            if (control(l, CONTROL_VENUE_LINK, SCOPE_VENUE, venue, 0) == ERR_FULL) {
                return false;
            }
        }
    }
    return true;
}

err_t engine_source_join(engine_loop_t *l, engine_source_t *s, const engine_feed_t *feed)
{
    if (!s->gen) {
        return source_begin(s, feed);
    }
    s->next = *feed;
    log_write(l->log, LOG_INFO, "%s has a new life, generation %u", topology_role_name(s->role), feed->gen);
    return ERR_OK;
}

bool engine_source_waits(const engine_loop_t *l)
{
    for (uint32_t i = 0; i < l->source_count; i++) {
        if (l->sources[i].next.gen) {
            return true;
        }
    }
    return false;
}

/* The old rings are dry, and their writer is dead: on to the next. What the engine does not know of it must be committed
 * first, or a crash between would not know that a life ended here. While market data is suspended its ring need not be
 * dry: books are broken anyway, and until we are on the next life we hear no news, not even of the journal role. */
static void source_switch(engine_loop_t *l, engine_source_t *s)
{
    if (!links_down(l, s)) {
        return;
    }
    lose_books(l, s, s->md.next, s->md.next);
    const engine_feed_t feed = s->next;
    s->next                  = (engine_feed_t){0};
    if (source_begin(s, &feed) != ERR_OK) {
        log_write(l->log, LOG_ERROR, "cannot be read: %s", err_msg());
        return;
    }
    log_write(l->log, LOG_INFO, "reads %s of generation %u", topology_role_name(s->role), s->gen);
}

static uint32_t exec_turn(engine_loop_t *l)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < l->source_count; i++) {
        if (l->sources[i].gen) {
            done += take_exec(l, &l->sources[i]);
        }
    }
    return done;
}

static uint32_t md_turn(engine_loop_t *l)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < l->source_count; i++) {
        engine_source_t *s   = &l->sources[i];
        const uint32_t   was = done;
        if (s->gen && !l->md_suspended) {
            done += take_md(l, s);
        }
        if (s->next.gen && done == was && !l->sent && room(l) && !fenced(l)) {
            ring_meta_t meta;
            const void *payload;
            if (lossless_peek(&s->exec, &meta, &payload) == ERR_EMPTY) {
                source_switch(l, s);
                done++;
            }
        }
    }
    return done;
}

/* ---- kill words ---------------------------------------------------------------------------------------------------- */
/* How many ids a scope has: bit 0 alone of GLOBAL. */
static uint32_t kill_ids(scope_t scope)
{
    return scope == SCOPE_GLOBAL ? 1 : WORDS_KILL_IDS;
}

static uint32_t kill_turn(engine_loop_t *l)
{
    const uint64_t version = atomic_load_explicit(&l->words->kill_version, memory_order_acquire);
    uint32_t       done    = 0;
    if (version == l->kill_version) {
        return 0;
    }
    for (uint32_t scope = SCOPE_GLOBAL; scope <= SCOPE_VENUE; scope++) {
        for (uint32_t word = 0; word < WORDS_KILL_IDS / 64; word++) {
            const uint64_t set     = atomic_load_explicit(&l->words->kill_set[scope][word], memory_order_relaxed);
            uint64_t       changed = set ^ l->kill_known[scope][word];
            while (changed) {
                const uint32_t bit  = (uint32_t)__builtin_ctzll(changed);
                const uint64_t mask = 1ull << bit;
                const uint32_t id   = word * 64 + bit;
                changed &= changed - 1;
                if (id < kill_ids((scope_t)scope)) {
                    const err_t err = control(l, CONTROL_KILL, (scope_t)scope, id, (set & mask) != 0);
                    if (err == ERR_FULL) {
                        return done; /* the version stays unseen: again when there is room */
                    }
                    done++;
                }
                l->kill_known[scope][word] ^= mask;
            }
        }
    }
    l->kill_version = version;
    atomic_store_explicit(&l->control->kill_mono_ns, role_mono_ns(), memory_order_relaxed);
    atomic_store_explicit(&l->control->kill_seen, version, memory_order_release);
    return done;
}

/* ---- levels of jrn and ord ---------------------------------------------------------------------------------------- */
static bool journal_works(const engine_loop_t *l, int64_t mono_ns)
{
    if (!l->journal || !l->jrn.cursor) {
        return false;
    }
    const uint32_t state = atomic_load_explicit(&l->journal->state, memory_order_acquire);
    const int64_t  beat  = atomic_load_explicit(&l->journal->heartbeat_mono_ns, memory_order_relaxed);
    return (state == ROLE_RUN || state == ROLE_STOPPING) && mono_ns - beat <= ENGINE_JOURNAL_SILENT_NS;
}

static uint32_t journal_turn(engine_loop_t *l, int64_t mono_ns)
{
    /* a new life of the role has a cursor that says nothing of this ring yet: what the last one said stands */
    const uint32_t fill  = l->jrn_slots - lossless_room(&l->jrn, l->jrn_slots);
    const bool     works = journal_works(l, mono_ns);
    uint32_t       done  = 0;
    const bool     down  = !works || fill >= l->jrn_slots / 2 || (l->journal_down && fill > l->jrn_slots / 4);
    if (down != l->journal_down) {
        log_write(l->log, down ? LOG_ERROR : LOG_INFO, "journal %s: %u of %u records wait%s",
                  down ? "down, no new orders" : "up", fill, l->jrn_slots, works ? "" : ", its role is dead or failed");
        if (control(l, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, !down) != ERR_FULL) {
            l->journal_down = down;
            done++;
        }
    }
    const bool suspend = fill >= l->jrn_slots / 4 * 3 || (l->md_suspended && fill >= l->jrn_slots / 2);
    if (suspend && !l->md_suspended) {
        log_write(l->log, LOG_ERROR, "market data suspended: %u of %u records wait for the journal", fill,
                  l->jrn_slots);
        for (uint32_t i = 0; i < l->source_count; i++) {
            lose_books(l, &l->sources[i], l->sources[i].md.next, l->sources[i].md.next);
        }
        done++;
    }
    l->md_suspended = suspend;
    return done;
}

static uint32_t ord_turn(engine_loop_t *l)
{
    const uint32_t low  = l->ord_slots / 4 + ENGINE_TO_VENUE_MAX;
    const uint32_t half = l->ord_slots / 2, high = half > low ? half : low + l->ord_slots / 8;
    const bool     full = lossless_room(&l->ord, high) < (l->ring_full ? high : low);
    uint64_t       told = 0;
    if (full == l->ring_full) {
        return 0;
    }
    for (uint32_t id = 1; id <= engine_instrument_count(l->engine); id++) {
        const uint16_t venue = engine_instrument(l->engine, id)->def.venue_id;
        if (venue <= RISK_VENUES_MAX && !(told & 1ull << venue)) {
            told |= 1ull << venue;
            if (control(l, CONTROL_RING_FULL, SCOPE_VENUE, venue, full) == ERR_FULL) {
                return 0; /* all of it again when there is room */
            }
        }
    }
    counter_add(l->counters, COUNTER_RING_FULL, full);
    log_write(l->log, LOG_WARN, full ? "ord.sim is full: no new orders" : "ord.sim has room again");
    l->ring_full = full;
    return 1;
}

/* ---- the turn ------------------------------------------------------------------------------------------------------ */
static void bells(engine_loop_t *l)
{
    if (l->journaled) {
        doorbell_ring(&l->words->bells[ROLE_JOURNAL], l->fifo[ROLE_JOURNAL]);
    }
    if (l->sent) {
        doorbell_ring(&l->words->bells[ROLE_SIM], l->fifo[ROLE_SIM]);
    }
    if (l->lanes.open) {
        engine_lanes_bell(l);
    }
    l->journaled = false;
    l->sent      = 0;
}

static bool passable(engine_loop_t *l)
{
    if (fenced(l)) {
        return false;
    }
    const bool now = !room(l);
    if (now != l->blocked) {
        l->blocked = now;
        counter_add(l->counters, COUNTER_RING_FULL, now);
        log_write(l->log, now ? LOG_ERROR : LOG_WARN,
                  now ? "halted: no room in jrn or ord for one more input" : "there is room again");
        if (now) {
            l->state_open = atomic_load_explicit(&l->control->state, memory_order_relaxed);
        }
        control_state(l->control, now ? ROLE_HALT : (role_state_t)l->state_open);
    }
    return !now;
}

uint32_t engine_turn(engine_loop_t *l, int64_t mono_ns)
{
    uint32_t done = 0;
    counter_add(l->counters, COUNTER_TURNS, 1);
    if (!passable(l)) {
        bells(l); /* of the turn that filled it */
        return 0;
    }
    done += kill_turn(l);
    if (mono_ns >= l->tick_mono_ns) {
        const tick_t tick = {.mono_ns = mono_ns + l->mono_offset_ns, .utc_ns = role_utc_ns()};
        l->tick_mono_ns   = mono_ns + ENGINE_TICK_NS;
        done += own(l, MSG_TICK, &tick) != ERR_FULL;
        counter_set(l->counters, COUNTER_LIMITS_VERSION, risk_limit_version(engine_risk(l->engine)));
    }
    done += instruments_follow(l);
    done += exec_turn(l);
    if (l->lanes.open) {
        done += engine_lanes_turn(l, mono_ns);
        /* rung for now: market data is read only while nothing waits for a bell, and a client may send in every turn */
        bells(l);
    }
    done += md_turn(l);
    done += journal_turn(l, mono_ns);
    done += ord_turn(l);
    bells(l);
    return done;
}

err_t engine_loop_begin(engine_loop_t *l)
{
    l->jrn_slots = (uint32_t)l->jrn.mask + 1;
    l->ord_slots = (uint32_t)l->ord.mask + 1;
    if (l->jrn_slots < ENGINE_JRN_SLOTS_MIN || l->ord_slots < ENGINE_ORD_SLOTS_MIN ||
        lossless_payload_max(&l->jrn) < RECORD_BYTES_MAX) {
        return err_set(ERR_CONFIG, "engine: jrn of %u slots (at least %u) of %u bytes, ord of %u (at least %u)",
                       l->jrn_slots, ENGINE_JRN_SLOTS_MIN, lossless_payload_max(&l->jrn), l->ord_slots,
                       ENGINE_ORD_SLOTS_MIN);
    }
    l->sequence     = engine_seq(l->engine);
    l->journal_down = true; /* as after BOOT, until it was seen to work */
    for (uint32_t id = 1; id <= engine_instrument_count(l->engine); id++) {
        l->priced[id] = view_updated_mono_ns(engine_market(l->engine, id)) != 0;
    }
    return ERR_OK;
}
