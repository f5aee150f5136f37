#include "tools/publish.h"

#include <assert.h>
#include <string.h>

#include "core/engine/engine_view.h"
#include "hwal_fbs.h"
#include "ipc/message.h"

#define TENANT_ID 1u /* one tenant an instance */

/* ---- joining ------------------------------------------------------------------------------------------------------ */
err_t publish_join(publish_t *p, const engine_t *engine, const segment_t *own)
{
    size_t bytes = 0;
    *p           = (publish_t){.engine = engine};
    void *ev     = segment_find(own, topology_ring(RING_ID_EV)->object, SEGMENT_BROADCAST, &bytes);
    err_t err    = ev ? ring_writer_join(&p->ev, ev, bytes) : err_set(ERR_NOT_FOUND, "publish: no ring ev");
    for (uint32_t i = 0; !err && i < RECORD_ID_COUNT; i++) {
        const char *name = topology_record_name((record_id_t)i);
        void       *mem  = segment_find(own, name, SEGMENT_RECORDS, &bytes);
        err = mem ? records_writer_join(&p->records[i], mem, bytes) : err_set(ERR_NOT_FOUND, "publish: no %s", name);
    }
    return err;
}

/* ---- one record --------------------------------------------------------------------------------------------------- */
/* Into its place, as far as there is one: ids beyond the places of an array exist in no published record. */
static void put(publish_t *p, record_id_t id, uint32_t place, const msg_t *msg, uint32_t topic)
{
    records_writer_t *w = &p->records[id];
    if (place >= w->count) {
        return;
    }
    size_t      len = 0;
    void       *at  = records_begin(w, place);
    const err_t err = message_write(msg, at, w->stride - RING_SLOT_HEAD, &len);
    assert(err == ERR_OK); /* topology.c pins each stride to its message */
    records_end(w, place,
                &(ring_meta_t){
                    .len = err ? 0 : (uint32_t)len, .type = (uint16_t)msg->type, .topic = topic, .tenant = TENANT_ID});
}

static void put_instrument(publish_t *p, uint32_t id)
{
    const instrument_t *ins = engine_instrument(p->engine, id);
    const msg_t         msg = {.type       = MSG_INSTRUMENT_DEF,
                               .body       = &ins->def,
                               .tail       = ins->bands,
                               .tail_count = ins->band_count,
                               .text       = ins->symbol};
    put(p, RECORD_ID_INSTRUMENTS, id - 1, &msg, id);
}

/* Book records are written where they lie, levels straight from the book: a walk, and no copy of it. */
static hwal_book_update_msg_slot_t begin_book(publish_t *p, uint32_t id)
{
    records_writer_t           *w = &p->records[RECORD_ID_BOOKS];
    hwal_book_update_msg_slot_t slot;
    const bool room = hwal_book_update_msg_reserve(records_begin(w, id - 1), w->stride - RING_SLOT_HEAD, &slot);
    assert(room && slot.levels_max >= 2 * TOPOLOGY_BOOK_LEVELS); /* topology.c pins the stride */
    return slot;
}

static void end_book(publish_t *p, uint32_t id, const hwal_book_update_msg_slot_t *slot, book_update_t *body)
{
    publish_book_t *shown = &p->book_shown[id];
    body->bid_count       = shown->bid_count;
    body->ask_count       = shown->ask_count;
    body->rpt_seq         = engine_seq(p->engine);
    *slot->body           = *body;
    shown->same           = true;
    const size_t len      = hwal_book_update_msg_commit(slot, (uint32_t)shown->bid_count + shown->ask_count);
    records_end(&p->records[RECORD_ID_BOOKS], id - 1,
                &(ring_meta_t){.len = (uint32_t)len, .type = MSG_BOOK_UPDATE, .topic = id, .tenant = TENANT_ID});
}

static bool book_published(const publish_t *p, uint32_t id)
{
    return id <= p->records[RECORD_ID_BOOKS].count && id <= TOPOLOGY_INSTRUMENTS_MAX &&
           engine_instrument(p->engine, id) != NULL;
}

static void put_book(publish_t *p, uint32_t id)
{
    if (!book_published(p, id)) {
        return;
    }
    const hwal_book_update_msg_slot_t slot  = begin_book(p, id);
    publish_book_t                   *shown = &p->book_shown[id];
    book_update_t                     body;
    engine_book_record(p->engine, id, TOPOLOGY_BOOK_LEVELS, &body, slot.levels);
    const uint32_t bids = body.bid_count, asks = body.ask_count;
    *shown = (publish_book_t){.bid_px    = bids < TOPOLOGY_BOOK_LEVELS ? INT64_MIN : slot.levels[bids - 1].px,
                              .ask_px    = asks < TOPOLOGY_BOOK_LEVELS ? INT64_MAX : slot.levels[bids + asks - 1].px,
                              .bid_count = (uint16_t)bids,
                              .ask_count = (uint16_t)asks};
    end_book(p, id, &slot, &body);
}

/* After a part of a message; at its end the record is written: anew, or, when no level that it shows may have changed,
 * only what it says of itself. */
static void show_levels(publish_t *p, const book_update_t *upd, const level_t *levels)
{
    const uint32_t id = upd->instrument_id;
    if (!book_published(p, id)) {
        return;
    }
    publish_book_t *shown = &p->book_shown[id];
    shown->same           = shown->same && (upd->flags & BOOK_FLAG_SNAPSHOT) == 0 &&
                  !book_within(upd, levels, shown->bid_px, shown->ask_px);
    if ((upd->flags & BOOK_FLAG_LAST) == 0) {
        return;
    }
    if (!shown->same) {
        put_book(p, id);
        return;
    }
    const hwal_book_update_msg_slot_t slot = begin_book(p, id);
    book_update_t                     body;
    engine_book_record(p->engine, id, 0, &body, NULL);
    end_book(p, id, &slot, &body);
}

static void put_feed(publish_t *p, uint32_t id, int64_t ts_utc_ns, bool always)
{
    feed_state_t body;
    if (id > TOPOLOGY_INSTRUMENTS_MAX || !engine_feed_record(p->engine, id, &body)) {
        return;
    }
    const uint16_t shown = (uint16_t)(body.health << 8 | body.reason);
    if (shown == p->feed_shown[id] && !always) {
        return;
    }
    const bool health = shown >> 8 != p->feed_shown[id] >> 8;
    p->feed_shown[id] = shown;
    body.ts_recv_ns   = ts_utc_ns;
    put(p, RECORD_ID_FEEDS, id - 1, &(msg_t){.type = MSG_FEED_STATE, .body = &body}, id);
    if (health) {
        put_book(p, id);
    }
}

static void put_trade(publish_t *p, uint32_t id)
{
    trade_t body;
    if (engine_trade_record(p->engine, id, &body)) {
        put(p, RECORD_ID_TRADES, id - 1, &(msg_t){.type = MSG_TRADE, .body = &body}, id);
    }
}

static void put_statistics(publish_t *p, uint32_t id, bool always)
{
    statistics_t body;
    if (id > TOPOLOGY_INSTRUMENTS_MAX || !engine_statistics_record(p->engine, id, &body) ||
        (body.day_utc_ns == p->day_shown[id] && !always)) {
        return;
    }
    p->day_shown[id] = body.day_utc_ns;
    put(p, RECORD_ID_STATISTICS, id - 1, &(msg_t){.type = MSG_STATISTICS, .body = &body}, id);
}

static void put_order(publish_t *p, uint32_t row)
{
    order_record_t body;
    engine_order_record(p->engine, row, &body);
    put(p, RECORD_ID_ORDERS, row, &(msg_t){.type = MSG_ORDER, .body = &body}, body.instrument_id);
}

static void put_order_of(publish_t *p, uint64_t cl_ord_id)
{
    const uint32_t row = order_find(engine_orders(p->engine), cl_ord_id);
    if (row != ORDER_NONE) {
        put_order(p, row);
    }
}

static void put_position(publish_t *p, uint32_t account, uint32_t id)
{
    position_t body;
    if (id <= TOPOLOGY_INSTRUMENTS_MAX && engine_position_record(p->engine, account, id, &body)) {
        put(p, RECORD_ID_POSITIONS, (account - 1) * TOPOLOGY_INSTRUMENTS_MAX + id - 1,
            &(msg_t){.type = MSG_POSITION, .body = &body}, id);
    }
}

static void put_account(publish_t *p, uint32_t account)
{
    account_record_t body;
    if (engine_account_record(p->engine, account, &body)) {
        put(p, RECORD_ID_ACCOUNTS, account - 1, &(msg_t){.type = MSG_ACCOUNT, .body = &body}, 0);
    }
}

/* ---- all of a kind ------------------------------------------------------------------------------------------------ */
static void put_money(publish_t *p)
{
    const uint32_t instruments = engine_instrument_count(p->engine), accounts = engine_account_count(p->engine);
    for (uint32_t account = 1; account <= accounts; account++) {
        for (uint32_t id = 1; id <= instruments; id++) {
            put_position(p, account, id);
        }
        put_account(p, account);
    }
}

static void put_orders(publish_t *p)
{
    const uint32_t rows = order_rows(engine_orders(p->engine));
    for (uint32_t row = 0; row < rows; row++) {
        put_order(p, row);
    }
}

void publish_all(publish_t *p, int64_t ts_utc_ns)
{
    const uint32_t instruments = engine_instrument_count(p->engine);
    for (uint32_t id = 1; id <= instruments; id++) {
        put_instrument(p, id);
        put_book(p, id);
        put_feed(p, id, ts_utc_ns, true);
        put_trade(p, id);
        put_statistics(p, id, true);
    }
    put_orders(p);
    put_money(p);
}

/* ---- one input ---------------------------------------------------------------------------------------------------- */
uint32_t publish_topic(msg_type_t type, const void *body)
{
    switch (type) {
    case MSG_VERDICT: return ((const verdict_t *)body)->instrument_id;
    case MSG_ORDER_REQUEST: return ((const order_req_t *)body)->instrument_id;
    case MSG_EXEC_REPORT: return ((const exec_report_t *)body)->instrument_id;
    case MSG_POSITION: return ((const position_t *)body)->instrument_id;
    case MSG_ALARM: return ((const alarm_t *)body)->instrument_id;
    case MSG_ORDER_STATUS_REQUEST: return ((const order_status_req_t *)body)->instrument_id;
    case MSG_SNAPSHOT_REQUEST: return ((const snapshot_req_t *)body)->instrument_id;
    case MSG_RISK_CHECK_RESPONSE: return ((const risk_check_resp_t *)body)->instrument_id;
    default: return 0;
    }
}

static void tell(publish_t *p, const out_rec_t *rec)
{
    size_t      len = 0;
    const msg_t msg = {.type = (msg_type_t)rec->type, .body = rec + 1};
    const err_t err = message_write(&msg, ring_reserve(&p->ev), ring_room(&p->ev), &len);
    assert(err == ERR_OK); /* topology.c pins the stride to the largest output */
    if (err == ERR_OK) {
        ring_commit(&p->ev, &(ring_meta_t){.len    = (uint32_t)len,
                                           .type   = rec->type,
                                           .topic  = publish_topic(msg.type, msg.body),
                                           .tenant = TENANT_ID});
    }
}

/* Records that an output makes new. */
static void show(publish_t *p, const out_rec_t *rec, int64_t ts_utc_ns)
{
    const void *body = rec + 1;
    switch ((msg_type_t)rec->type) {
    case MSG_ORDER_REQUEST: {
        const order_req_t *req = body;
        put_order_of(p, req->action == ORDER_ACTION_NEW ? req->cl_ord_id : req->orig_cl_ord_id);
        break;
    }
    case MSG_EXEC_REPORT: put_order_of(p, ((const exec_report_t *)body)->cl_ord_id); break;
    case MSG_ORDER_STATUS_REQUEST: put_order_of(p, ((const order_status_req_t *)body)->cl_ord_id); break;
    case MSG_POSITION: {
        const position_t *position = body;
        put_position(p, position->account_id, position->instrument_id);
        put_account(p, position->account_id);
        break;
    }
    case MSG_ALARM: put_feed(p, ((const alarm_t *)body)->instrument_id, ts_utc_ns, false); break;
    default: break;
    }
}

static void show_input(publish_t *p, const msg_t *in, int64_t ts_utc_ns)
{
    switch (in->type) {
    case MSG_BOOK_UPDATE: {
        const book_update_t *upd = in->body;
        put_feed(p, upd->instrument_id, ts_utc_ns, false);
        show_levels(p, upd, in->tail);
        break;
    }
    case MSG_MBO_UPDATE: {
        const mbo_update_t *upd = in->body;
        put_feed(p, upd->instrument_id, ts_utc_ns, false);
        if (upd->flags & BOOK_FLAG_LAST) {
            put_book(p, upd->instrument_id);
        }
        break;
    }
    case MSG_TOP: put_book(p, ((const top_t *)in->body)->instrument_id); break;
    case MSG_TRADE:
        put_trade(p, ((const trade_t *)in->body)->instrument_id);
        put_statistics(p, ((const trade_t *)in->body)->instrument_id, true);
        break;
    case MSG_FEED_STATE: put_feed(p, ((const feed_state_t *)in->body)->instrument_id, ts_utc_ns, false); break;
    case MSG_INSTRUMENT_DEF: {
        const instrument_def_t *def = in->body;
        const uint32_t          id  = engine_instrument_find(p->engine, def->venue_id, in->text);
        if (id) {
            put_instrument(p, id);
            put_feed(p, id, ts_utc_ns, true);
            put_statistics(p, id, true);
        }
        break;
    }
    case MSG_TICK:
        for (uint32_t id = 1; id <= engine_instrument_count(p->engine); id++) {
            put_feed(p, id, ts_utc_ns, true);
            put_statistics(p, id, false);
        }
        put_money(p);
        break;
    case MSG_BOOT: publish_all(p, ts_utc_ns); break;
    case MSG_CONTROL:
    case MSG_ACCOUNT_DEF:
    case MSG_MASS_STATUS: put_money(p); break;
    default: break;
    }
}

void publish_input(publish_t *p, const msg_t *in, const engine_out_t *out, int64_t ts_utc_ns)
{
    const out_rec_t *rec;
    for (uint32_t pos = 0; (rec = engine_out_next(out, &pos));) {
        tell(p, rec);
        show(p, rec, ts_utc_ns);
    }
    show_input(p, in, ts_utc_ns);
}
