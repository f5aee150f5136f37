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
    memset(p, 0, sizeof *p); /* not by a literal: it is megabytes */
    p->engine      = engine;
    p->instruments = engine_instruments_max(engine);
    void *ev       = segment_find(own, topology_ring(RING_ID_EV)->object, SEGMENT_BROADCAST, &bytes);
    err_t err      = ev ? ring_writer_join(&p->ev, ev, bytes) : err_set(ERR_NOT_FOUND, "publish: no ring ev");
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
    return id <= p->records[RECORD_ID_BOOKS].count && engine_instrument(p->engine, id) != NULL;
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
    if (!engine_feed_record(p->engine, id, &body)) {
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
    if (!engine_statistics_record(p->engine, id, &body) || (body.day_utc_ns == p->day_shown[id] && !always)) {
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
    position_t     body;
    const uint64_t place = (account - 1) * (uint64_t)p->instruments + id - 1;
    if (place < PUBLISH_POSITIONS_MAX && engine_position_record(p->engine, account, id, &body)) {
        p->position_shown[place / 64] |= 1ull << (place % 64);
        put(p, RECORD_ID_POSITIONS, (uint32_t)place, &(msg_t){.type = MSG_POSITION, .body = &body}, id);
    }
}

static void put_account(publish_t *p, uint32_t account)
{
    account_record_t body;
    if (engine_account_record(p->engine, account, &body)) {
        put(p, RECORD_ID_ACCOUNTS, account - 1, &(msg_t){.type = MSG_ACCOUNT, .body = &body}, 0);
    }
}

static void put_held(publish_t *p, uint32_t row)
{
    held_record_t body;
    engine_held_record(p->engine, row, &body);
    put(p, RECORD_ID_HELD, row, &(msg_t){.type = MSG_HELD_ORDER, .body = &body}, body.instrument_id);
}

/* The held order of that id, or the one that an order of that id left for. */
static void put_held_of(publish_t *p, uint64_t cl_ord_id)
{
    const held_table_t *held = engine_held(p->engine);
    if (held_rows(held) == 0) {
        return;
    }
    const uint32_t row   = held_find(held, cl_ord_id);
    const uint32_t slice = row == HELD_NONE ? held_slice_find(held, cl_ord_id) : HELD_NONE;
    if (row != HELD_NONE) {
        put_held(p, row);
    } else if (slice != HELD_NONE) {
        put_held(p, held_slice_peek(held, slice)->row);
    }
}

static void put_balance(publish_t *p, uint32_t row)
{
    balance_t body;
    if (engine_balance_record(p->engine, row, &body)) {
        put(p, RECORD_ID_BALANCES, row, &(msg_t){.type = MSG_BALANCE, .body = &body}, 0);
    }
}

static void put_balances(publish_t *p, uint32_t account)
{
    for (uint32_t k = 0; k < PORTFOLIO_CCYS_MAX; k++) {
        put_balance(p, (account - 1) * PORTFOLIO_CCYS_MAX + k);
    }
}

static void put_part(publish_t *p, uint32_t row)
{
    sub_position_t body;
    if (engine_sub_position_record(p->engine, row, &body)) {
        put(p, RECORD_ID_SUB_POSITIONS, row, &(msg_t){.type = MSG_SUB_POSITION, .body = &body}, body.instrument_id);
    }
}

static void put_alerts(publish_t *p)
{
    alert_t body;
    for (uint32_t i = 0; i < ENGINE_ALERTS_MAX && engine_alert_record(p->engine, i, &body); i++) {
        put(p, RECORD_ID_ALERTS, i, &(msg_t){.type = MSG_ALERT, .body = &body}, body.instrument_id);
    }
}

static void put_venue(publish_t *p, uint32_t venue_id)
{
    venue_def_t body;
    if (engine_venue_record(p->engine, venue_id, &body)) {
        put(p, RECORD_ID_VENUES, venue_id - 1, &(msg_t){.type = MSG_VENUE_DEF, .body = &body}, 0);
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
    for (uint32_t row = 0; row < held_rows(engine_held(p->engine)); row++) {
        put_held(p, row);
    }
    for (uint32_t row = 0; row < engine_balance_rows(p->engine); row++) {
        put_balance(p, row);
    }
    for (uint32_t row = 0; row < engine_sub_position_rows(p->engine); row++) {
        put_part(p, row);
    }
    for (uint32_t venue = 1; venue <= RISK_VENUES_MAX; venue++) {
        put_venue(p, venue);
    }
    put_alerts(p);
}

/* An account's figures, whose id an input may have wrong. */
static void put_money_of(publish_t *p, uint32_t account)
{
    if (account >= 1 && account <= engine_account_count(p->engine)) {
        put_account(p, account);
        put_balances(p, account);
    }
}

/* ---- in turn ------------------------------------------------------------------------------------------------------ */
static void turn_feeds(publish_t *p, int64_t ts_utc_ns)
{
    const uint32_t count = engine_instrument_count(p->engine);
    for (uint32_t n = count < PUBLISH_TURN ? count : PUBLISH_TURN; n > 0; n--) {
        p->feed_turn = p->feed_turn % count + 1;
        put_feed(p, p->feed_turn, ts_utc_ns, true);
        put_statistics(p, p->feed_turn, false);
    }
}

static void turn_accounts(publish_t *p)
{
    const uint32_t count = engine_account_count(p->engine);
    for (uint32_t n = count < PUBLISH_TURN ? count : PUBLISH_TURN; n > 0; n--) {
        p->account_turn = p->account_turn % count + 1;
        put_account(p, p->account_turn);
    }
}

/* rows of one kind: those whose turn it is; of those that are there now. */
static void turn_rows(publish_t *p, uint32_t rows, uint32_t *turn, void (*put_row)(publish_t *p, uint32_t row))
{
    for (uint32_t n = rows < PUBLISH_TURN ? rows : PUBLISH_TURN; n > 0; n--) {
        *turn = *turn + 1 < rows ? *turn + 1 : 0;
        put_row(p, *turn);
    }
}

/* Places that hold none are passed 64 at a time: 64 * PUBLISH_TURN of them and PUBLISH_TURN positions are one turn. */
static void turn_positions(publish_t *p)
{
    const uint64_t accounts = engine_account_count(p->engine);
    const uint64_t all =
        accounts * p->instruments < PUBLISH_POSITIONS_MAX ? accounts * p->instruments : PUBLISH_POSITIONS_MAX;
    const uint32_t words = (uint32_t)((all + 63) / 64);
    uint32_t       left  = PUBLISH_TURN;
    for (uint32_t n = words < PUBLISH_TURN ? words : PUBLISH_TURN; n > 0 && left > 0; n--) {
        const uint32_t word = p->position_turn / 64 % words, from = p->position_turn % 64;
        uint64_t       bits = p->position_shown[word] >> from << from;
        for (; bits && left > 0; bits &= bits - 1, left--) {
            const uint32_t place = word * 64 + (uint32_t)__builtin_ctzll(bits);
            p->position_turn     = place + 1;
            put_position(p, place / p->instruments + 1, place % p->instruments + 1);
        }
        p->position_turn = bits ? p->position_turn : (word + 1) % words * 64;
    }
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
    case MSG_SIZE_RESPONSE: return ((const size_resp_t *)body)->instrument_id;
    case MSG_ORDER_TERMS_REQUEST: return ((const order_terms_req_t *)body)->instrument_id;
    case MSG_MASS_CANCEL: return ((const mass_cancel_t *)body)->instrument_id;
    case MSG_ALERT: return ((const alert_t *)body)->instrument_id;
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
    case MSG_ORDER_REQUEST:
    case MSG_ORDER_TERMS_REQUEST: { /* the same first fields */
        const order_req_t *req = body;
        const uint64_t     id  = req->action == ORDER_ACTION_NEW ? req->cl_ord_id : req->orig_cl_ord_id;
        put_order_of(p, id);
        put_held_of(p, id);
        break;
    }
    case MSG_EXEC_REPORT:
        put_order_of(p, ((const exec_report_t *)body)->cl_ord_id);
        put_held_of(p, ((const exec_report_t *)body)->cl_ord_id);
        break;
    case MSG_VERDICT: put_held_of(p, ((const verdict_t *)body)->cl_ord_id); break;
    case MSG_ALERT: put_alerts(p); break;
    case MSG_ORDER_STATUS_REQUEST: put_order_of(p, ((const order_status_req_t *)body)->cl_ord_id); break;
    case MSG_POSITION: {
        const position_t *position = body;
        put_position(p, position->account_id, position->instrument_id);
        put_money_of(p, position->account_id);
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
        turn_feeds(p, ts_utc_ns);
        turn_accounts(p);
        turn_positions(p);
        turn_rows(p, held_rows(engine_held(p->engine)), &p->held_turn, put_held);
        turn_rows(p, engine_balance_rows(p->engine), &p->balance_turn, put_balance);
        turn_rows(p, engine_sub_position_rows(p->engine), &p->part_turn, put_part);
        break;
    case MSG_BOOT: publish_all(p, ts_utc_ns); break;
    case MSG_CONTROL: {
        const control_t *control = in->body;
        if (control->scope_type == SCOPE_ACCOUNT) {
            put_account(p, control->scope_id);
        } else {
            turn_accounts(p);
        }
        break;
    }
    case MSG_ACCOUNT_DEF: put_account(p, ((const account_def_t *)in->body)->account_id); break;
    case MSG_MASS_STATUS: put_account(p, ((const mass_status_t *)in->body)->account_id); break;
    case MSG_CASH_MOVE: put_money_of(p, ((const cash_move_t *)in->body)->account_id); break;
    case MSG_MISC_FEE: put_money_of(p, ((const misc_fee_t *)in->body)->account_id); break;
    case MSG_VENUE_DEF: put_venue(p, ((const venue_def_t *)in->body)->venue_id); break;
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
