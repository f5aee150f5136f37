/* hwal record import of Databento files: the single orders of schema mbo become MBO_UPDATE and TRADE messages, and the book
 * of a replay is the one that dbn_book (adapters/files/dbn.h) makes of the records, after every event.
 *
 *     A   ADD; an order of that id that stands goes first (CANCEL)        T   TRADE, numbered from 1: the records have no ids
 *     C   CANCEL; what an F of the event told of the order is FILL        F   kept until the C or M that takes it off
 *     M   MODIFY; what an F told, and M takes off, is FILL before it      N   nothing
 *     R, and the first record of a snapshot: a SNAPSHOT begins, which clears the book; it ends with the event
 *
 * An event (up to the record flagged LAST) is one message, in parts where it is long; its trades stand before it. A record
 * that cannot be folded breaks the book in the recording at the same place as in a replay of the records, and is named.
 * Where a snapshot repeats what stands without a clear, its orders alone are the book; dbn_book keeps the others as well.
 *
 * The files are read twice, for scale and tick of an instrument follow from all its prices. What is wrong with the whole
 * (another schema, files in the wrong order) is found at the first reading, and no recording is made. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/files/dbn.h"
#include "core/engine/engine.h"
#include "ipc/version.h"
#include "tools/command.h"
#include "tools/record.h"
#include "tools/recorder.h"
#include "tools/replay_dbn.h"

#define PX_EXP 9 /* of a price in DBN */
#define FAULTS_TOLD 20u
#define FILLS_MAX 4096u  /* orders filled in one event */
#define RTYPE_ERROR 0x15 /* to RTYPE_SYSTEM: what a session says of itself */
#define RTYPE_SYSTEM 0x17

typedef struct filled { /* F of an event, until C or M takes it off */
    uint64_t order_id;
    int64_t  qty;
} filled_t;

typedef struct dbn_feed { /* an instrument; its id here is its place in the list */
    uint32_t     id;      /* in the files */
    uint16_t     publisher;
    bool         negative; /* it has prices below 1 */
    bool         known;    /* its book has been LIVE or STALE since it was BROKEN last */
    char         symbol[SYMBOL_MAX + 1];
    uint64_t     gcd;        /* of its prices */
    int64_t      ts_recv_ns; /* of its last record, at the first reading */
    int64_t      scale;
    mbo_update_t upd; /* the part that is being gathered */
    mbo_entry_t  entries[MBO_UPDATE_MAX_ENTRIES];
    bool         open;     /* parts of the event were written */
    bool         snapshot; /* the event is one */
    uint64_t     rpt_seq, trades;
    filled_t     fills[FILLS_MAX];
    uint32_t     fill_count;
} dbn_feed_t;

typedef struct import {
    char *const *files;
    uint32_t     file_count;
    const char  *path; /* of the file that is being read */
    dbn_feed_t  *feeds[RECORD_BOOKS_MAX];
    uint32_t     count;
    recorder_t   recorder;
    bool         recording;
    int64_t      now_ns;
    uint64_t     offset; /* of the record that is being read */
    uint64_t     seq, records, faults;
} import_t;

static void fault(import_t *m)
{
    if (m->faults++ < FAULTS_TOLD) {
        command_error("record", EXIT_FINDING, "%s", err_msg());
    }
}

/* ---- instruments -------------------------------------------------------------------------------------------------------- */
static dbn_feed_t *feed_find(const import_t *m, const dbn_record_t *rec, uint32_t *id)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->feeds[i]->id == rec->instrument_id && m->feeds[i]->publisher == rec->publisher_id) {
            *id = i + 1;
            return m->feeds[i];
        }
    }
    return NULL;
}

/* The symbol that the file says; the instrument's number where it says none, or one that is too long, or another's. */
static void symbol_set(const import_t *m, dbn_feed_t *feed, const char *symbol)
{
    bool taken = !symbol || strlen(symbol) > SYMBOL_MAX;
    for (uint32_t i = 0; !taken && i < m->count; i++) {
        taken = strcmp(m->feeds[i]->symbol, symbol) == 0;
    }
    if (taken) {
        (void)snprintf(feed->symbol, sizeof feed->symbol, "%" PRIu32 "@%u", feed->id, feed->publisher);
    } else {
        (void)snprintf(feed->symbol, sizeof feed->symbol, "%s", symbol);
    }
}

static err_t feed_new(import_t *m, const dbn_t *file, const dbn_record_t *rec, dbn_feed_t **out)
{
    if (m->count == RECORD_BOOKS_MAX) {
        return err_set(ERR_LIMIT, "%s: more than %u instruments", m->path, RECORD_BOOKS_MAX);
    }
    dbn_feed_t *feed = calloc(1, sizeof *feed);
    if (!feed) {
        return err_set(ERR_LIMIT, "out of memory at instrument %" PRIu32, rec->instrument_id);
    }
    feed->id        = rec->instrument_id;
    feed->publisher = rec->publisher_id;
    symbol_set(m, feed, dbn_symbol(file, rec->instrument_id));
    m->feeds[m->count++] = *out = feed;
    return ERR_OK;
}

/* A price of an order or trade, for scale and tick. */
static void px_note(dbn_feed_t *feed, int64_t px)
{
    uint64_t a = feed->gcd, b = px < 0 ? 0 - (uint64_t)px : (uint64_t)px;
    while (b != 0) {
        const uint64_t rest = a % b;
        a                   = b;
        b                   = rest;
    }
    feed->gcd = a;
    feed->negative |= px < 1;
}

/* The coarsest tick of the usual kinds (1, 2, 2.5 or 5 times a power of ten) that divides all prices: a common divisor of 30
 * is chance. */
static int64_t tick_of(uint64_t gcd)
{
    static const uint8_t steps[] = {50, 25, 20, 10};
    for (uint64_t ten = UINT64_C(100000000000000000); ten != 0; ten /= 10) {
        for (size_t i = 0; i < sizeof steps; i++) {
            const uint64_t tick = ten * steps[i] / 10;
            if (ten * steps[i] % 10 == 0 && gcd % tick == 0) {
                return (int64_t)tick;
            }
        }
    }
    return 1;
}

static err_t feed_define(import_t *m, dbn_feed_t *feed, uint32_t id)
{
    uint64_t gcd = feed->gcd ? feed->gcd : 1;
    int8_t   exp = PX_EXP;
    for (feed->scale = 1; exp > 0 && gcd % 10 == 0; exp--) {
        gcd /= 10;
        feed->scale *= 10;
    }
    const instrument_def_t def  = {.instrument_id  = id,
                                   .venue_id       = 1, /* one simulated venue for all publishers: symbols differ */
                                   .kind           = INSTRUMENT_LINEAR,
                                   .px_exp         = exp,
                                   .money_exp      = 8,
                                   .settle_ccy     = ccy_pack("QUOTE"),
                                   .lot            = 1,
                                   .min_qty        = 1,
                                   .mult           = 1,
                                   .allow_negative = feed->negative};
    const tick_band_t      band = {.px_from = 0, .tick = tick_of(gcd)};
    command_error("record", EXIT_OK,
                  "note: instrument %s: %d digits of a price and a tick of %" PRId64
                  " of them come from its prices; currency and value of a contract are not in the file: QUOTE and 1",
                  feed->symbol, exp, band.tick);
    return recorder_define(
        &m->recorder,
        &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def, .tail = &band, .tail_count = 1, .text = feed->symbol});
}

/* ---- messages ----------------------------------------------------------------------------------------------------------- */
static err_t put(import_t *m, msg_type_t type, const void *body, const void *tail, uint32_t count)
{
    const recording_entry_t entry = {.msg   = {.type = type, .body = body, .tail = tail, .tail_count = count},
                                     .seq   = ++m->seq,
                                     .ts_ns = m->now_ns,
                                     .topic = *(const uint32_t *)body}; /* instrument_id stands first in all of them */
    return recorder_write(&m->recorder, &entry);
}

static void event_begin(dbn_feed_t *feed, bool snapshot)
{
    feed->upd.entry_count = 0;
    feed->fill_count      = 0;
    feed->open            = false;
    feed->snapshot        = snapshot;
}

/* The book of the feed is BROKEN from here on. */
static err_t feed_break(import_t *m, dbn_feed_t *feed, uint32_t id, feed_reason_t reason)
{
    const feed_state_t state = {
        .instrument_id = id, .health = FEED_BROKEN, .reason = (uint8_t)reason, .ts_recv_ns = m->now_ns};
    event_begin(feed, false);
    feed->known = false;
    return put(m, MSG_FEED_STATE, &state, NULL, 0);
}

/* The part that was gathered. */
static err_t part_write(import_t *m, dbn_feed_t *feed, uint32_t id, bool last)
{
    mbo_update_t *upd  = &feed->upd;
    upd->instrument_id = id;
    upd->flags =
        (feed->snapshot ? BOOK_FLAG_SNAPSHOT : 0u) | (feed->open ? 0u : BOOK_FLAG_FIRST) | (last ? BOOK_FLAG_LAST : 0u);
    upd->rpt_seq     = ++feed->rpt_seq;
    const err_t err  = put(m, MSG_MBO_UPDATE, upd, feed->entries, upd->entry_count);
    upd->entry_count = 0;
    feed->open       = true;
    if (err) {
        return err;
    }
    const feed_health_t health = view_health(record_books_view(&m->recorder.books, id));
    if (health == FEED_BROKEN && feed->known) {
        err_wrap(ERR_STATE, "%s: byte %" PRIu64 ": instrument %s: the book is BROKEN (%s)", m->path, m->offset,
                 feed->symbol, feed_reason_str(view_reason(record_books_view(&m->recorder.books, id))));
        fault(m);
    }
    feed->known = health != FEED_BROKEN;
    return ERR_OK;
}

static err_t entry_put(import_t *m, dbn_feed_t *feed, uint32_t id, mbo_action_t action, const dbn_mbo_t *rec,
                       int64_t qty)
{
    err_t err = ERR_OK;
    if (feed->upd.entry_count == MBO_UPDATE_MAX_ENTRIES) {
        err = part_write(m, feed, id, false);
    }
    feed->entries[feed->upd.entry_count++] = (mbo_entry_t){.order_id = rec->order_id,
                                                           .px     = rec->px == DBN_PX_NONE ? 0 : rec->px / feed->scale,
                                                           .qty    = qty,
                                                           .action = (uint8_t)action,
                                                           .side   = rec->side == 'B'   ? SIDE_BUY
                                                                     : rec->side == 'A' ? SIDE_SELL
                                                                                        : SIDE_NONE};
    return err;
}

/* An order as it stands after the entries that were gathered; false: it does not stand. */
static bool order_now(const import_t *m, const dbn_feed_t *feed, uint32_t id, uint64_t order_id, int64_t *px,
                      int64_t *qty)
{
    const view_t view  = record_books_view(&m->recorder.books, id);
    mbo_order_t  order = {0};
    if (view.kind == VIEW_L3 && (feed->open || !feed->snapshot)) {
        mbo_find(l3_mbo(view.l3), order_id, &order);
    }
    for (uint32_t i = 0; i < feed->upd.entry_count; i++) {
        const mbo_entry_t *e = &feed->entries[i];
        if (e->order_id == order_id && (e->action == MBO_ADD || e->action == MBO_MODIFY)) {
            order.px  = e->px;
            order.qty = e->qty;
        } else if (e->order_id == order_id) {
            order.qty -= e->qty;
        }
    }
    *px  = order.px;
    *qty = order.qty;
    return order.qty > 0;
}

/* ---- records ------------------------------------------------------------------------------------------------------------ */
static err_t fill_keep(import_t *m, dbn_feed_t *feed, const dbn_mbo_t *rec)
{
    uint32_t i = 0;
    while (i < feed->fill_count && feed->fills[i].order_id != rec->order_id) {
        i++;
    }
    if (i == FILLS_MAX) {
        return err_set(ERR_LIMIT, "%s: byte %" PRIu64 ": more than %u orders are filled in one event", m->path,
                       m->offset, FILLS_MAX);
    }
    if (i == feed->fill_count) {
        feed->fills[feed->fill_count++] = (filled_t){.order_id = rec->order_id};
    }
    feed->fills[i].qty += rec->qty;
    return ERR_OK;
}

/* What was filled of an order, at most max; the rest of it is forgotten. */
static int64_t fill_take(dbn_feed_t *feed, uint64_t order_id, int64_t max)
{
    for (uint32_t i = 0; i < feed->fill_count; i++) {
        if (feed->fills[i].order_id == order_id) {
            const int64_t qty = feed->fills[i].qty;
            feed->fills[i]    = feed->fills[--feed->fill_count];
            return qty < max ? qty : max;
        }
    }
    return 0;
}

static err_t add(import_t *m, dbn_feed_t *feed, uint32_t id, const dbn_mbo_t *rec)
{
    int64_t px, qty;
    err_t   err = ERR_OK;
    if (order_now(m, feed, id, rec->order_id, &px, &qty)) {
        err = entry_put(m, feed, id, MBO_CANCEL, rec, qty);
    }
    return err ? err : entry_put(m, feed, id, MBO_ADD, rec, rec->qty);
}

static err_t cancel(import_t *m, dbn_feed_t *feed, uint32_t id, const dbn_mbo_t *rec)
{
    const int64_t filled = fill_take(feed, rec->order_id, rec->qty);
    err_t         err    = filled ? entry_put(m, feed, id, MBO_FILL, rec, filled) : ERR_OK;
    return err || (filled && filled == rec->qty) ? err : entry_put(m, feed, id, MBO_CANCEL, rec, rec->qty - filled);
}

static err_t modify(import_t *m, dbn_feed_t *feed, uint32_t id, const dbn_mbo_t *rec)
{
    int64_t    px, qty, filled = 0;
    err_t      err    = ERR_OK;
    const bool stands = order_now(m, feed, id, rec->order_id, &px, &qty);
    if (stands && rec->qty > 0 && qty > rec->qty) { /* what stays keeps its place by either of the two */
        filled = fill_take(feed, rec->order_id, qty - rec->qty);
    }
    if (filled) {
        dbn_mbo_t at = *rec;
        at.px        = px * feed->scale;
        err          = entry_put(m, feed, id, MBO_FILL, &at, filled);
    }
    if (filled && qty - filled == rec->qty && px == rec->px / feed->scale) {
        return err;
    }
    return err ? err : entry_put(m, feed, id, MBO_MODIFY, rec, rec->qty);
}

static err_t trade(import_t *m, dbn_feed_t *feed, uint32_t id, const dbn_record_t *rec)
{
    const trade_t body = {.instrument_id  = id,
                          .aggressor_side = rec->mbo.side == 'B'   ? SIDE_BUY
                                            : rec->mbo.side == 'A' ? SIDE_SELL
                                                                   : SIDE_NONE,
                          .trade_id       = ++feed->trades,
                          .px             = rec->mbo.px / feed->scale,
                          .qty            = rec->mbo.qty,
                          .ts_event_ns    = feed->upd.ts_event_ns,
                          .ts_recv_ns     = feed->upd.ts_recv_ns};
    if (rec->mbo.px == DBN_PX_NONE || rec->mbo.qty == 0) {
        err_set(ERR_PARSE, "%s: byte %" PRIu64 ": a trade without %s", m->path, m->offset,
                rec->mbo.qty == 0 ? "a quantity" : "a price");
        fault(m);
        return ERR_OK;
    }
    return put(m, MSG_TRADE, &body, NULL, 0);
}

static err_t action_take(import_t *m, dbn_feed_t *feed, uint32_t id, const dbn_record_t *rec)
{
    const dbn_mbo_t *mbo    = &rec->mbo;
    const bool       places = mbo->action == 'A' || mbo->action == 'M';
    if ((mbo->side == 'N' && (places || mbo->action == 'C')) || (places && mbo->px == DBN_PX_NONE)) {
        err_set(ERR_PARSE, "%s: byte %" PRIu64 ": action %c of order %" PRIu64 " has no %s", m->path, m->offset,
                mbo->action, mbo->order_id, mbo->side == 'N' ? "side" : "price");
        fault(m);
        return feed_break(m, feed, id, FEED_REASON_GARBLED);
    }
    switch (mbo->action) {
    case 'A': return add(m, feed, id, mbo);
    case 'C': return cancel(m, feed, id, mbo);
    case 'M': return modify(m, feed, id, mbo);
    case 'F': return fill_keep(m, feed, mbo);
    case 'T': return trade(m, feed, id, rec);
    default: return ERR_OK; /* R began a snapshot; N */
    }
}

static err_t record_take(import_t *m, dbn_feed_t *feed, uint32_t id, const dbn_record_t *rec)
{
    const dbn_mbo_t *mbo  = &rec->mbo;
    const bool       last = mbo->flags & DBN_FLAG_LAST;
    m->now_ns             = mbo->ts_recv_ns == DBN_TS_NONE || mbo->ts_recv_ns < m->now_ns ? m->now_ns : mbo->ts_recv_ns;
    if (mbo->action == 'R' || ((mbo->flags & DBN_FLAG_SNAPSHOT) != 0 && !feed->snapshot)) {
        event_begin(feed, true);
    }
    if (!feed->open && feed->upd.entry_count == 0) {
        feed->upd.venue_seq_first = mbo->sequence;
    }
    feed->upd.venue_seq   = mbo->sequence;
    feed->upd.ts_event_ns = rec->ts_event_ns == DBN_TS_NONE ? 0 : rec->ts_event_ns;
    feed->upd.ts_recv_ns  = m->now_ns;
    err_t err             = action_take(m, feed, id, rec);
    if (!err && last) {
        err = feed->open || feed->upd.entry_count != 0 || feed->snapshot ? part_write(m, feed, id, true) : ERR_OK;
        event_begin(feed, false);
    }
    return err;
}

/* ---- files -------------------------------------------------------------------------------------------------------------- */
typedef err_t (*take_t)(import_t *m, const dbn_t *file, const dbn_record_t *rec);

/* Every record of a file. *cut: it ended with a fault of its own, whose sentence stands. */
static err_t file_read(import_t *m, const char *path, take_t take, bool *cut)
{
    dbn_t       *file;
    dbn_record_t rec;
    err_t        err = dbn_open(path, &file), end = ERR_OK;
    m->path = path;
    if (err) {
        return err;
    }
    if (dbn_meta(file)->schema != 0 && dbn_meta(file)->schema != UINT16_MAX) {
        err = err_set(
            ERR_UNSUPPORTED,
            "%s: schema %s; a recording is made of single orders only (schema mbo): hwal replay reads this file", path,
            replay_dbn_schema(dbn_meta(file)->schema));
    }
    while (!err && (end = dbn_next(file, &rec)) == ERR_OK) {
        m->offset = rec.offset;
        err       = take(m, file, &rec);
    }
    *cut = !err && end != ERR_END;
    dbn_close(file);
    return err;
}

/* First reading: which instruments, with which prices. */
static err_t probe(import_t *m, const dbn_t *file, const dbn_record_t *rec)
{
    uint32_t id;
    if (rec->kind != DBN_MBO && rec->rtype >= RTYPE_ERROR && rec->rtype <= RTYPE_SYSTEM) {
        return ERR_OK;
    }
    if (rec->kind != DBN_MBO) {
        return err_set(ERR_UNSUPPORTED,
                       "%s: byte %" PRIu64
                       ": a record of type 0x%02x; a recording is made of single orders (0xa0) only",
                       m->path, m->offset, rec->rtype);
    }
    dbn_feed_t *feed = feed_find(m, rec, &id);
    const err_t err  = feed ? ERR_OK : feed_new(m, file, rec, &feed);
    if (!err && rec->mbo.ts_recv_ns != DBN_TS_NONE) {
        if (rec->mbo.ts_recv_ns < feed->ts_recv_ns) { /* the book would be one that never was */
            return err_set(ERR_STATE,
                           "%s: byte %" PRIu64 ": instrument %s: received at %" PRId64
                           ", before the record before it (%" PRId64 "): files in the wrong order, or one twice?",
                           m->path, m->offset, feed->symbol, rec->mbo.ts_recv_ns, feed->ts_recv_ns);
        }
        feed->ts_recv_ns = rec->mbo.ts_recv_ns;
    }
    if (!err && strchr("AMT", rec->mbo.action) && rec->mbo.px != DBN_PX_NONE) {
        px_note(feed, rec->mbo.px);
    }
    return err;
}

/* Second reading. */
static err_t translate(import_t *m, const dbn_t *file, const dbn_record_t *rec)
{
    uint32_t    id   = 0;
    dbn_feed_t *feed = feed_find(m, rec, &id);
    (void)file;
    if (rec->kind != DBN_MBO) {
        return ERR_OK;
    }
    if (!feed) {
        return err_set(ERR_STATE, "%s: byte %" PRIu64 ": the file changed while it was read", m->path, m->offset);
    }
    m->records++;
    return record_take(m, feed, id, rec);
}

static err_t import_all(import_t *m, const char *out)
{
    recording_about_t about = {.core_version = ENGINE_CORE_VERSION, .source_count = 1, .source = {"dbn"}};
    const book_cfg_t  book  = {0};
    err_t             err   = ERR_OK;
    bool              cut;
    for (uint32_t f = 0; !err && f < m->file_count; f++) {
        err = file_read(m, m->files[f], probe, &cut); /* a cut file is told at the second reading */
    }
    if (!err && m->count == 0) {
        err =
            err_set(ERR_NOT_FOUND, "%s: no single order in %s", m->files[0], m->file_count == 1 ? "it" : "these files");
    }
    if (err) {
        return err;
    }
    (void)snprintf(about.build, sizeof about.build, "%s", version_build_id());
    err          = recorder_open(&m->recorder, out, &about, &book);
    m->recording = !err;
    for (uint32_t i = 0; !err && i < m->count; i++) {
        err = feed_define(m, m->feeds[i], i + 1);
    }
    for (uint32_t f = 0; !err && f < m->file_count; f++) {
        err = file_read(m, m->files[f], translate, &cut);
        if (!err && cut) {
            fault(m);
        }
        for (uint32_t i = 0; !err && cut && i < m->count; i++) {
            err = feed_break(m, m->feeds[i], i + 1, FEED_REASON_LOST);
        }
    }
    for (uint32_t i = 0; !err && i < m->count; i++) { /* an event that has no end */
        err = m->feeds[i]->upd.entry_count ? part_write(m, m->feeds[i], i + 1, false) : ERR_OK;
    }
    if (m->recording) {
        const err_t closed = recorder_close(&m->recorder, m->now_ns);
        err                = err ? err : closed;
    }
    return err;
}

int record_import_dbn(const char *out, char *const *files, uint32_t count, bool json, bool quiet)
{
    import_t *m = calloc(1, sizeof *m);
    if (!m) {
        return command_error("record", EXIT_FINDING, "out of memory");
    }
    m->files        = files;
    m->file_count   = count;
    const err_t err = import_all(m, out);
    int         rc  = m->faults ? EXIT_FINDING : EXIT_OK;
    if (err) {
        rc = command_error("record", err == ERR_EXISTS ? EXIT_USAGE : EXIT_FINDING, "%s", err_msg());
    } else if (json) {
        json_t *o = json_pack("{s:s, s:o, s:I, s:I, s:I, s:I}", "command", "record-import", "file", command_text(out),
                              "records", (json_int_t)m->records, "messages", (json_int_t)m->seq, "bytes",
                              (json_int_t)m->recorder.bytes, "faults", (json_int_t)m->faults);
        json_dumpf(o, stdout, JSON_INDENT(2));
        fputc('\n', stdout);
        json_decref(o);
    } else if (!quiet) {
        printf("%s: %" PRIu64 " messages of %" PRIu64 " records in %.2f MB\n", out, m->seq, m->records,
               (double)m->recorder.bytes / 1e6);
    }
    for (uint32_t i = 0; i < m->count; i++) {
        free(m->feeds[i]);
    }
    free(m);
    return rc;
}
