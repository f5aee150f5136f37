#include "tools/record_books.h"

#include <stdlib.h>
#include <string.h>

#define ORDERS_FIRST 1024u /* a book of orders begins so, and doubles: more than a message of them */

err_t record_books_define(record_books_t *b, const msg_t *msg, bool *fresh)
{
    const instrument_def_t *def = msg->body;
    const uint32_t          id  = def->instrument_id;
    instrument_t            ins;
    *fresh = false;
    if (id == 0 || id > RECORD_BOOKS_MAX) {
        return err_set(ERR_LIMIT, "instrument %s has id %u, limits 1 to %u", msg->text, id, RECORD_BOOKS_MAX);
    }
    memset(&ins, 0, sizeof ins); /* compared as a whole */
    err_t err = instrument_init(&ins, def, msg->text, msg->tail, msg->tail_count);
    if (err || memcmp(&ins, &b->ins[id], sizeof ins) == 0) {
        return err;
    }
    const size_t bytes = book_footprint(&b->cfg), align = book_align();
    if (!b->book[id] && bytes != 0) {
        b->book[id] = aligned_alloc(align, (bytes + align - 1) / align * align);
    }
    if (!b->book[id] || !book_new(b->book[id], &b->cfg, &ins)) {
        return bytes ? err_set(ERR_LIMIT, "out of memory: %zu bytes of a book", bytes) : ERR_CONFIG;
    }
    b->count += b->ins[id].def.instrument_id == 0;
    b->partial -= b->open[id];
    free(b->l3[id]);
    b->l3[id]     = NULL;
    b->orders[id] = 0;
    b->levels[id] = b->open[id] = false;
    b->ins[id]                  = ins;
    *fresh                      = true;
    return ERR_OK;
}

void record_books_free(record_books_t *b)
{
    for (uint32_t i = 0; i <= RECORD_BOOKS_MAX; i++) {
        free(b->book[i]);
        free(b->l3[i]);
        b->book[i] = NULL;
        b->l3[i]   = NULL;
    }
}

view_t record_books_view(const record_books_t *b, uint32_t id)
{
    return b->l3[id] ? view_of_l3(b->l3[id]) : b->book[id] ? view_of_book(b->book[id]) : (view_t){0};
}

static void feed(record_books_t *b, uint32_t id, const feed_state_t *state, int64_t ts_ns)
{
    if (b->l3[id]) {
        l3_feed(b->l3[id], state, ts_ns);
    } else if (b->book[id]) {
        book_feed(b->book[id], state, ts_ns);
    }
    b->partial -= b->open[id];
    b->open[id] = false;
}

/* A message of the other kind, or one whose tail is not whole. */
static void garbled(record_books_t *b, uint32_t id, int64_t ts_ns)
{
    feed(b, id, &(feed_state_t){.instrument_id = id, .health = FEED_BROKEN, .reason = FEED_REASON_GARBLED}, ts_ns);
}

static void parts(record_books_t *b, uint32_t id, uint32_t flags)
{
    const bool more = !(flags & BOOK_FLAG_LAST);
    b->partial += (uint32_t)more - (uint32_t)b->open[id];
    b->open[id] = more;
}

/* ---- single orders ------------------------------------------------------------------------------------------------------ */
static uint32_t order_count(const mbo_t *mbo)
{
    return mbo_order_count(mbo, SIDE_BUY) + mbo_order_count(mbo, SIDE_SELL);
}

static uint32_t longest_queue(const mbo_t *mbo)
{
    uint32_t    most = 0;
    mbo_level_t level;
    for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
        for (bool more = mbo_level(mbo, side, 0, &level); more; more = mbo_worse(mbo, side, &level)) {
            most = level.count > most ? level.count : most;
        }
    }
    return most;
}

static err_t l3_make(const instrument_t *ins, const mbo_cfg_t *cfg, l3_t **out)
{
    const size_t bytes = l3_footprint(cfg), align = l3_align();
    void        *mem = bytes ? aligned_alloc(align, (bytes + align - 1) / align * align) : NULL;
    *out             = mem ? l3_new(mem, cfg, ins) : NULL;
    return *out ? ERR_OK : err_set(ERR_LIMIT, "out of memory: %zu bytes of single orders of %s", bytes, ins->symbol);
}

/* Room for the orders of one more message. They are counted again when as many as there is room for may have come; a book
 * that is then fuller than three quarters grows. A BROKEN one does not: it takes nothing. At the limits of mbo.h it fills up,
 * and breaks. */
static err_t orders_room(record_books_t *b, uint32_t id)
{
    const l3_t    *l3     = b->l3[id];
    const mbo_t   *mbo    = l3_mbo(l3);
    mbo_cfg_t      more   = b->room[id];
    const uint32_t levels = mbo_level_count(mbo, SIDE_BUY) + mbo_level_count(mbo, SIDE_SELL);
    bool           full   = false;
    if (b->orders[id] + MBO_UPDATE_MAX_ENTRIES > more.orders_max) {
        b->orders[id] = order_count(mbo);
        full          = b->orders[id] > more.orders_max / 4 * 3 && more.orders_max < MBO_ORDERS_MAX;
        more.orders_max *= full ? 2 : 1;
    }
    if (levels + MBO_UPDATE_MAX_ENTRIES > more.levels_max && more.levels_max < MBO_LEVELS_MAX) {
        more.levels_max *= 2;
        full = true;
    }
    if (!full || l3->health == FEED_BROKEN) {
        return ERR_OK;
    }
    const uint32_t most   = longest_queue(mbo);
    mbo_order_t   *queue  = malloc((most + 1) * sizeof *queue);
    l3_t          *larger = NULL;
    err_t          err    = queue ? l3_make(&b->ins[id], &more, &larger) : err_set(ERR_LIMIT, "out of memory");
    err                   = err ? err : l3_copy(larger, l3, queue, most);
    free(queue);
    if (err) {
        free(larger);
        return err;
    }
    free(b->l3[id]);
    b->l3[id]   = larger;
    b->room[id] = more;
    return ERR_OK;
}

static err_t orders_apply(record_books_t *b, const msg_t *msg, int64_t ts_ns)
{
    const mbo_update_t *upd = msg->body;
    const uint32_t      id  = upd->instrument_id;
    err_t               err = ERR_OK;
    if (id > RECORD_BOOKS_MAX || !b->book[id]) {
        return ERR_OK;
    }
    if (b->levels[id] || upd->entry_count > msg->tail_count) {
        garbled(b, id, ts_ns);
        return ERR_OK;
    }
    if (!b->l3[id]) {
        b->room[id] = (mbo_cfg_t){.orders_max = ORDERS_FIRST, .levels_max = ORDERS_FIRST};
        err         = l3_make(&b->ins[id], &b->room[id], &b->l3[id]);
        if (!err) { /* what was said of the feed before stays said */
            l3_feed(b->l3[id],
                    &(feed_state_t){.health = (uint8_t)book_health(b->book[id]),
                                    .reason = (uint8_t)book_reason(b->book[id])},
                    ts_ns);
        }
    } else {
        err = orders_room(b, id);
    }
    if (!err) {
        b->orders[id] += upd->entry_count;
        l3_apply(b->l3[id], upd, msg->tail, ts_ns);
        parts(b, id, upd->flags);
    }
    return err;
}

static err_t orders_snapshot(const l3_t *l3, uint32_t id, int64_t ts_ns, record_books_emit_t emit, void *ctx)
{
    const mbo_t   *mbo    = l3_mbo(l3);
    const uint32_t orders = order_count(mbo);
    const uint32_t count  = orders == 0 ? 1 : (orders + MBO_UPDATE_MAX_ENTRIES - 1) / MBO_UPDATE_MAX_ENTRIES;
    mbo_update_t   upd    = {.instrument_id   = id,
                             .flags           = BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST,
                             .rpt_seq         = l3->rpt_seq - count,
                             .venue_seq_first = l3->venue_seq,
                             .venue_seq       = l3->venue_seq,
                             .ts_recv_ns      = ts_ns};
    mbo_entry_t    entries[MBO_UPDATE_MAX_ENTRIES];
    mbo_order_t   *queue = malloc((longest_queue(mbo) + 1) * sizeof *queue);
    mbo_level_t    level;
    uint32_t       done = 0;
    err_t          err  = queue ? ERR_OK : err_set(ERR_LIMIT, "out of memory for a snapshot of %u orders", orders);
    for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
        for (bool more = mbo_level(mbo, side, 0, &level); more && !err; more = mbo_worse(mbo, side, &level)) {
            const uint32_t n = mbo_queue(mbo, side, level.px, queue, level.count);
            for (uint32_t i = 0; i < n && !err; i++) {
                entries[upd.entry_count++] = (mbo_entry_t){.order_id = queue[i].id,
                                                           .px       = level.px,
                                                           .qty      = queue[i].qty,
                                                           .action   = MBO_ADD,
                                                           .side     = (uint8_t)side};
                if (++done < orders && upd.entry_count == MBO_UPDATE_MAX_ENTRIES) {
                    upd.rpt_seq++;
                    err = emit(
                        ctx,
                        &(msg_t){.type = MSG_MBO_UPDATE, .body = &upd, .tail = entries, .tail_count = upd.entry_count});
                    upd.flags       = BOOK_FLAG_SNAPSHOT;
                    upd.entry_count = 0;
                }
            }
        }
    }
    free(queue);
    upd.rpt_seq++;
    upd.flags |= BOOK_FLAG_LAST;
    return err ? err
               : emit(ctx,
                      &(msg_t){.type = MSG_MBO_UPDATE, .body = &upd, .tail = entries, .tail_count = upd.entry_count});
}

/* ---- messages ----------------------------------------------------------------------------------------------------------- */
err_t record_books_apply(record_books_t *b, const msg_t *msg, int64_t ts_ns)
{
    if (msg->type == MSG_MBO_UPDATE) {
        return orders_apply(b, msg, ts_ns);
    }
    if (msg->type == MSG_BOOK_UPDATE) {
        const book_update_t *upd = msg->body;
        const uint32_t       id  = upd->instrument_id;
        if (id > RECORD_BOOKS_MAX || !b->book[id]) {
            return ERR_OK;
        }
        if (b->l3[id]) {
            garbled(b, id, ts_ns);
            return ERR_OK;
        }
        b->levels[id] = true;
        book_apply(b->book[id], upd, msg->tail, ts_ns);
        parts(b, id, upd->flags);
    } else if (msg->type == MSG_FEED_STATE) {
        const feed_state_t *state = msg->body;
        for (uint32_t i = 1; state->instrument_id == 0 && i <= RECORD_BOOKS_MAX; i++) {
            feed(b, i, state, ts_ns);
        }
        if (state->instrument_id != 0 && state->instrument_id <= RECORD_BOOKS_MAX) {
            feed(b, state->instrument_id, state, ts_ns);
        }
    }
    return ERR_OK;
}

err_t record_books_snapshot(const record_books_t *b, uint32_t id, int64_t ts_ns, record_books_emit_t emit, void *ctx)
{
    const book_t *book = b->book[id];
    const view_t  view = record_books_view(b, id);
    if (b->open[id] || (view_health(view) != FEED_LIVE && view_health(view) != FEED_STALE)) {
        return ERR_OK;
    }
    if (view.kind == VIEW_L3) {
        return orders_snapshot(view.l3, id, ts_ns, emit, ctx);
    }
    const uint32_t bids = book_level_count(book, SIDE_BUY), asks = book_level_count(book, SIDE_SELL);
    const uint32_t parts = bids + asks == 0 ? 1 : (bids + asks + BOOK_UPDATE_MAX_LEVELS - 1) / BOOK_UPDATE_MAX_LEVELS;
    book_update_t  upd   = {.instrument_id   = id,
                            .rpt_seq         = book_rpt_seq(book) - parts,
                            .venue_seq_first = book_venue_seq(book),
                            .venue_seq       = book_venue_seq(book),
                            .ts_recv_ns      = ts_ns};
    level_t        levels[BOOK_UPDATE_MAX_LEVELS];
    book_iter_t    bid = book_iter(book, SIDE_BUY), ask = book_iter(book, SIDE_SELL);
    for (uint32_t part = 0; part < parts; part++) {
        uint32_t n = 0;
        upd.flags = BOOK_FLAG_SNAPSHOT | (part == 0 ? BOOK_FLAG_FIRST : 0u) | (part == parts - 1 ? BOOK_FLAG_LAST : 0u);
        upd.bid_count = upd.ask_count = 0;
        upd.rpt_seq++;
        for (; n < BOOK_UPDATE_MAX_LEVELS && book_iter_next(&bid, &levels[n]); n++) {
            upd.bid_count++;
        }
        for (; n < BOOK_UPDATE_MAX_LEVELS && book_iter_next(&ask, &levels[n]); n++) {
            upd.ask_count++;
        }
        const err_t err = emit(ctx, &(msg_t){.type = MSG_BOOK_UPDATE, .body = &upd, .tail = levels, .tail_count = n});
        if (err) {
            return err;
        }
    }
    return ERR_OK;
}

msg_t record_books_def(const record_books_t *b, uint32_t id)
{
    const instrument_t *ins = &b->ins[id];
    return (msg_t){.type       = MSG_INSTRUMENT_DEF,
                   .body       = &ins->def,
                   .tail       = ins->bands,
                   .tail_count = ins->band_count,
                   .text       = ins->symbol};
}
