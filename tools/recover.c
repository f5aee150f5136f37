#include "tools/recover.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/engine/engine_view.h"
#include "core/types/hash.h"
#include "hwal_fbs.h"
#include "ipc/message.h"
#include "ipc/role.h"
#include "tools/engine_loop.h"

#define PROGRESS_EVERY 1024u /* records between two heartbeats: some 2 ms */

/* ---- the arena ---------------------------------------------------------------------------------------------------- */
static err_t memory(recover_t *r)
{
    void *arena = mmap(NULL, r->arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED) {
        return err_set(ERR_LIMIT, "recover: no memory for an arena of %zu bytes", r->arena_bytes);
    }
    r->arena  = arena;
    r->handle = aligned_alloc(64, (engine_handle_size() + 63) & ~(size_t)63);
    r->unsent = calloc(ENGINE_TO_VENUE_MAX, sizeof *r->unsent);
    r->out    = (engine_out_t){.buf = aligned_alloc(64, ENGINE_OUT_MAX), .cap = ENGINE_OUT_MAX};
    if (!r->handle || !r->unsent || !r->out.buf) {
        return err_set(ERR_LIMIT, "recover: out of memory");
    }
    memset(r->out.buf, 0, ENGINE_OUT_MAX); /* touched, as the arena */
    return ERR_OK;
}

/* What is in use is in memory from here on: no page fault later on the event path. A book behind it is touched as a whole
 * when its instrument is defined. */
static void touch(void *arena, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 4096) {
        volatile uint8_t *byte = (uint8_t *)arena + at;
        *byte                  = *byte;
    }
}

static void sources_from(recover_t *r)
{
    uint32_t at = 0;
    for (uint32_t kind = 0; kind < 2; kind++) {
        for (uint32_t i = 0; i < RECOVER_SNAPSHOT_SOURCES; i++) {
            if (r->from.source_gen[kind][i]) {
                r->sources[at++] = (recover_source_t){.seq    = r->from.source_seq[kind][i],
                                                      .used   = r->from.sequence,
                                                      .gen    = r->from.source_gen[kind][i],
                                                      .source = (uint8_t)(RECORD_SOURCE_MD + kind)};
            }
        }
    }
}

err_t recover_open(recover_t *r, int snapshot_fd, const journal_id_t *id)
{
    *r        = (recover_t){0};
    err_t err = snapshot_head(snapshot_fd, &r->from);
    if (!err && id && memcmp(id, &r->from.id, sizeof *id) != 0) {
        err = err_set(ERR_UNSUPPORTED,
                      "snapshot of session %016" PRIx64 ", core version %u, configuration %016" PRIx64
                      "; wanted %016" PRIx64 ", %u, %016" PRIx64,
                      r->from.id.session, r->from.id.core_version, r->from.id.config_hash, id->session,
                      id->core_version, id->config_hash);
    }
    r->arena_bytes = r->from.arena_bytes;
    err            = err ? err : memory(r);
    err            = err ? err : snapshot_load(snapshot_fd, &r->from, r->arena);
    if (!err) {
        r->engine = engine_join(r->handle, r->arena);
        err       = r->engine ? ERR_OK : ERR_STATE;
    }
    if (!err) {
        touch(r->arena, engine_image_used(r->engine));
    }
    if (!err && engine_state_hash(r->engine) != r->from.state_hash) {
        err = err_set(ERR_STATE, "state hash %016" PRIx64 ", its head says %016" PRIx64, engine_state_hash(r->engine),
                      r->from.state_hash);
    }
    if (err) {
        recover_close(r);
        return err_wrap(err, "snapshot");
    }
    r->sequence              = r->from.sequence;
    r->record                = r->from.record;
    r->now                   = r->from.now;
    r->mono_offset_ns        = r->from.mono_offset_ns;
    r->boot_id_hash          = r->from.boot_id_hash;
    r->epoch                 = r->from.sequence ? r->from.epoch : 0;
    r->set_up                = r->from.sequence > 0; /* one is written at birth, the others at an orderly stop */
    r->counts.first_sequence = r->sequence + 1;
    sources_from(r);
    return ERR_OK;
}

void recover_close(recover_t *r)
{
    if (r->arena) {
        munmap(r->arena, r->arena_bytes);
    }
    free(r->handle);
    free(r->unsent);
    free(r->out.buf);
    *r = (recover_t){0};
}

/* ---- the last life's ord ring ------------------------------------------------------------------------------------- */
err_t recover_ord(recover_t *r, const void *ring, size_t bytes, uint32_t epoch)
{
    lossless_reader_t look;
    err_t             err = lossless_reader_join(&look, ring, bytes, NULL, 0);
    if (err) {
        return err_wrap(err, "ord ring of epoch %u", epoch);
    }
    const uint64_t written = lossless_written(&look), slots = lossless_slots(&look);
    /* a batch that was not committed any more may lie over the oldest messages */
    const uint64_t whole = slots > ENGINE_TO_VENUE_MAX ? slots - ENGINE_TO_VENUE_MAX : 0;
    const uint64_t first = written > whole ? written - whole : 0;
    err                  = lossless_reader_join(&r->ord, ring, bytes, NULL, first);
    if (err) {
        return err_wrap(err, "ord ring of epoch %u", epoch);
    }
    r->ord_first   = first + 1;
    r->ord_written = written;
    r->ord_epoch   = epoch;
    return ERR_OK;
}

/* Is the message at a position of the ring this one? */
static bool ord_holds(const recover_t *r, uint64_t position, const out_rec_t *rec)
{
    ring_meta_t meta;
    const void *payload;
    msg_t       msg;
    return lossless_peek_at(&r->ord, (uint32_t)(position - r->ord_first), &meta, &payload) == ERR_OK &&
           meta.type == rec->type && message_read((msg_type_t)meta.type, payload, meta.len, &msg) == ERR_OK &&
           memcmp(msg.body, rec + 1, msg_body_size(msg.type)) == 0;
}

static void ord_count(recover_t *r, const out_rec_t *rec)
{
    const uint64_t position = ++r->ord_counted;
    if (r->ord_epoch != r->epoch || r->ord_epoch == 0) {
        return;
    }
    if (position <= r->ord_written) {
        r->ord_differs |= position >= r->ord_first && !ord_holds(r, position, rec);
    } else if (rec->type == MSG_ORDER_REQUEST || rec->type == MSG_ORDER_TERMS_REQUEST) { /* the same first fields */
        if (r->unsent_count == ENGINE_TO_VENUE_MAX) { /* more than one batch can hold */
            r->ord_differs = true;
            return;
        }
        memcpy(&r->unsent[r->unsent_count++], rec + 1, sizeof(order_req_t));
    }
}

static void life_begins(recover_t *r, const boot_t *boot)
{
    r->counts.lives++;
    r->epoch          = boot->epoch;
    r->mono_offset_ns = boot->mono_offset_ns;
    r->boot_id_hash   = 0; /* a BOOT does not say */
    r->ord_counted    = 0;
    r->ord_differs    = false;
    r->unsent_count   = 0;
}

bool recover_orders_unknown(const recover_t *r)
{
    if (r->epoch == 0) {
        return false; /* the first life: nothing was ever sent */
    }
    return r->ord_epoch != r->epoch || r->ord_differs || r->ord_counted < r->ord_written;
}

bool recover_unsent(const recover_t *r, uint32_t i, int64_t utc_ns, exec_report_t *out)
{
    const order_req_t *req = &r->unsent[i];
    *out                   = (exec_report_t){.corr_hi       = req->corr_hi,
                                             .corr_lo       = req->corr_lo,
                                             .account_id    = req->account_id,
                                             .strategy_id   = req->strategy_id,
                                             .instrument_id = req->instrument_id,
                                             .side          = req->side,
                                             .cum_qty       = -1,
                                             .leaves_qty    = -1,
                                             .ts_recv_ns    = utc_ns,
                                             .reject_code   = RISK_RECOVERING};
    switch ((order_action_t)req->action) { /* a report goes under the order's own id, not the request's */
    case ORDER_ACTION_NEW:
        out->exec_type = EXEC_TYPE_UNSENT;
        out->cl_ord_id = req->cl_ord_id;
        return true;
    case ORDER_ACTION_REPLACE:
        out->exec_type = EXEC_TYPE_REPLACE_REJECT;
        out->cl_ord_id = req->orig_cl_ord_id;
        return true;
    case ORDER_ACTION_CANCEL:
        out->exec_type = EXEC_TYPE_CANCEL_REJECT;
        out->cl_ord_id = req->orig_cl_ord_id;
        return true;
    case ORDER_ACTION_NONE: break;
    }
    return false;
}

/* ---- positions ---------------------------------------------------------------------------------------------------- */
static void source_note(recover_t *r, const record_head_t *head, uint64_t sequence)
{
    recover_source_t *oldest = &r->sources[0];
    for (uint32_t i = 0; i < RECOVER_SOURCES_MAX; i++) {
        recover_source_t *s = &r->sources[i];
        if (s->source == head->source && s->gen == head->source_gen) {
            oldest = s;
            break;
        }
        oldest = s->used < oldest->used ? s : oldest;
    }
    *oldest =
        (recover_source_t){.seq = head->source_seq, .used = sequence, .gen = head->source_gen, .source = head->source};
}

uint64_t recover_position(const recover_t *r, record_source_t source, uint32_t gen)
{
    for (uint32_t i = 0; i < RECOVER_SOURCES_MAX; i++) {
        if (r->sources[i].source == source && r->sources[i].gen == gen) {
            return r->sources[i].seq;
        }
    }
    return 0;
}

bool recover_knows(const recover_t *r, uint32_t gen)
{
    return recover_position(r, RECORD_SOURCE_MD, gen) != 0 || recover_position(r, RECORD_SOURCE_EXEC, gen) != 0;
}

/* ---- comparing ---------------------------------------------------------------------------------------------------- */
static err_t differ(recover_t *r, uint64_t number, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static err_t differ(recover_t *r, uint64_t number, const char *field, const char *fmt, ...)
{
    va_list args;
    r->diff = (recover_diff_t){.found = true, .sequence = r->sequence, .number = number};
    snprintf(r->diff.field, sizeof r->diff.field, "%s", field);
    va_start(args, fmt);
    vsnprintf(r->diff.text, sizeof r->diff.text, fmt, args);
    va_end(args);
    return err_set(ERR_STATE, "sequence %" PRIu64 ", record %" PRIu64 ", %s: %s", r->sequence, number, r->diff.field,
                   r->diff.text);
}

/* The first field of two bodies that differs, by the schema. */
static err_t differ_body(recover_t *r, uint64_t number, msg_type_t type, const uint8_t *is, const uint8_t *want)
{
    const fbs_object_t *table = fbs_union_object(&hwal_message_names, (uint8_t)type);
    const fbs_object_t *body  = table && table->field_count ? table->fields[0].object : NULL;
    for (uint32_t i = 0; body && i < body->field_count; i++) {
        const fbs_field_t *f     = &body->fields[i];
        const uint32_t     bytes = fbs_scalar_bytes(f->base);
        if (bytes && memcmp(is + f->at, want + f->at, bytes) != 0) {
            return differ(r, number, f->name, "%s: the journal has %" PRId64 ", the replay %" PRId64,
                          msg_type_str(type), fbs_load(f->base, want + f->at), fbs_load(f->base, is + f->at));
        }
    }
    return differ(r, number, "body", "%s: bodies differ", msg_type_str(type));
}

static const out_rec_t *next_journaled(recover_t *r)
{
    const out_rec_t *rec;
    while ((rec = engine_out_next(&r->out, &r->out_pos)) && !engine_output_journaled((msg_type_t)rec->type)) {
    }
    return rec;
}

err_t recover_flush(recover_t *r)
{
    const bool differs = r->hash_differs;
    r->hash_differs    = false;
    if (differs) { /* all journaled outputs were equal, so it was a POSITION or an ALARM */
        return differ(r, r->input_number, "output_hash", "the journal has %016" PRIx64 ", the replay %016" PRIx64,
                      r->input_hash, engine_output_hash(r->engine));
    }
    if (r->out_due) {
        return differ(r, 0, "outputs", "%u records of the input's outputs are missing behind record %" PRIu64,
                      r->out_due, r->input_number);
    }
    return ERR_OK;
}

static err_t input(recover_t *r, const journal_entry_t *entry)
{
    const record_t      *record = &entry->record;
    const record_head_t *head   = &record->head;
    err_t                err    = recover_flush(r);
    if (err) {
        return err;
    }
    if (record->sequence != r->sequence + 1) {
        return err_set(ERR_GAP, "journal: record %" PRIu64 " is input %" PRIu64 ", wanted is %" PRIu64, entry->number,
                       record->sequence, r->sequence + 1);
    }
    r->sequence     = record->sequence;
    r->input_number = entry->number;
    r->now          = record->now;
    r->counts.inputs++;
    if (record->msg.type == MSG_BOOT) {
        life_begins(r, record->msg.body);
    }
    if (record->msg.type == MSG_CONTROL && ((const control_t *)record->msg.body)->kind == CONTROL_CLOCK) {
        r->set_up = true; /* the last record of setup_open */
    }
    if (head->source == RECORD_SOURCE_MD || head->source == RECORD_SOURCE_EXEC) {
        source_note(r, head, record->sequence);
    }
    err          = engine_apply(r->engine, record->now, &record->msg, &r->out);
    r->out_pos   = 0;
    r->out_due   = head->outputs;
    uint32_t due = 0, pos = 0;
    for (const out_rec_t *rec; (rec = engine_out_next(&r->out, &pos));) {
        due += engine_output_journaled((msg_type_t)rec->type);
    }
    if ((uint32_t)err != head->err) {
        return differ(r, entry->number, "err", "%s: the journal has %u, the replay %u (%s)",
                      msg_type_str(record->msg.type), head->err, (uint32_t)err, err_str(err));
    }
    if (due != head->outputs) {
        return differ(r, entry->number, "outputs", "%s: the journal has %u, the replay %u",
                      msg_type_str(record->msg.type), head->outputs, due);
    }
    /* kept until its outputs were compared: an output that differs says more than the hash of them all */
    r->input_hash   = head->output_hash;
    r->hash_differs = head->output_hash != engine_output_hash(r->engine);
    return ERR_OK;
}

static err_t output(recover_t *r, const journal_entry_t *entry)
{
    const record_t  *record = &entry->record;
    const out_rec_t *rec    = r->out_due ? next_journaled(r) : NULL;
    if (record->sequence != r->sequence || !rec) {
        return differ(r, entry->number, "sequence", "%s of input %" PRIu64 ": no such output in the replay",
                      msg_type_str(record->msg.type), record->sequence);
    }
    r->out_due--;
    r->counts.outputs++;
    if (record->msg.type != rec->type) {
        return differ(r, entry->number, "type", "the journal has %s, the replay %s", msg_type_str(record->msg.type),
                      msg_type_str((msg_type_t)rec->type));
    }
    if (memcmp(record->msg.body, rec + 1, msg_body_size(record->msg.type)) != 0) {
        return differ_body(r, entry->number, record->msg.type, (const uint8_t *)(rec + 1), record->msg.body);
    }
    if (engine_output_sent(record->msg.type)) {
        ord_count(r, rec);
    }
    return ERR_OK;
}

err_t recover_entry(recover_t *r, const journal_entry_t *entry)
{
    if (entry->number != r->record + 1) {
        return err_set(ERR_GAP, "journal: record %" PRIu64 " follows record %" PRIu64, entry->number, r->record);
    }
    r->record = entry->number;
    switch ((record_kind_t)entry->record.head.kind) {
    case RECORD_INPUT: return input(r, entry);
    case RECORD_OUTPUT: return output(r, entry);
    case RECORD_NONE: break;
    }
    return err_set(ERR_PARSE, "journal: record %" PRIu64 " is neither input nor output", entry->number);
}

static void beat(const recover_t *r, control_page_t *page)
{
    if (page) {
        atomic_store_explicit(&page->progress, r->record - r->from.record, memory_order_relaxed);
        control_beat(page, role_mono_ns());
    }
}

err_t recover_replay(recover_t *r, journal_reader_t *journal, control_page_t *page)
{
    journal_entry_t entry;
    err_t           err = journal_seek(journal, r->sequence);
    for (uint64_t n = 0; !err && (err = journal_next(journal, &entry)) == ERR_OK; n++) {
        err = recover_entry(r, &entry);
        if (n % PROGRESS_EVERY == 0) {
            beat(r, page);
        }
    }
    err = err == ERR_END ? recover_flush(r) : err_wrap(err, "replay");
    beat(r, page);
    return err;
}

/* ---- the clock ---------------------------------------------------------------------------------------------------- */
uint32_t recover_boot_id(void)
{
    char          text[64];
    const int     fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    const ssize_t n  = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0) {
        close(fd);
    }
    const uint32_t hash = n > 0 ? (uint32_t)hash_bytes(0, text, (size_t)n) : 0;
    return n > 0 && hash == 0 ? 1 : hash;
}

int64_t recover_offset(const recover_t *r, int64_t mono_ns, int64_t utc_ns, uint32_t boot_id_hash)
{
    const bool other_boot = r->boot_id_hash && boot_id_hash && r->boot_id_hash != boot_id_hash;
    if (!other_boot && r->now.mono_ns <= mono_ns + r->mono_offset_ns) {
        return r->mono_offset_ns;
    }
    const int64_t passed = utc_ns > r->now.utc_ns ? utc_ns - r->now.utc_ns : 0;
    return r->now.mono_ns + passed - mono_ns;
}
