#include "tools/record_books.h"

#include <stdlib.h>
#include <string.h>

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
    b->open[id] = false;
    b->ins[id]  = ins;
    *fresh      = true;
    return ERR_OK;
}

void record_books_free(record_books_t *b)
{
    for (uint32_t i = 0; i <= RECORD_BOOKS_MAX; i++) {
        free(b->book[i]);
        b->book[i] = NULL;
    }
}

static void feed(record_books_t *b, uint32_t id, const feed_state_t *state, int64_t ts_ns)
{
    if (b->book[id]) {
        book_feed(b->book[id], state, ts_ns);
        b->partial -= b->open[id];
        b->open[id] = false;
    }
}

void record_books_apply(record_books_t *b, const msg_t *msg, int64_t ts_ns)
{
    if (msg->type == MSG_BOOK_UPDATE) {
        const book_update_t *upd  = msg->body;
        const uint32_t       id   = upd->instrument_id;
        const bool           more = !(upd->flags & BOOK_FLAG_LAST);
        if (id > RECORD_BOOKS_MAX || !b->book[id]) {
            return;
        }
        book_apply(b->book[id], upd, msg->tail, ts_ns);
        b->partial += (uint32_t)more - (uint32_t)b->open[id];
        b->open[id] = more;
    } else if (msg->type == MSG_FEED_STATE) {
        const feed_state_t *state = msg->body;
        for (uint32_t i = 1; state->instrument_id == 0 && i <= RECORD_BOOKS_MAX; i++) {
            feed(b, i, state, ts_ns);
        }
        if (state->instrument_id != 0 && state->instrument_id <= RECORD_BOOKS_MAX) {
            feed(b, state->instrument_id, state, ts_ns);
        }
    }
}

err_t record_books_snapshot(const record_books_t *b, uint32_t id, int64_t ts_ns, record_books_emit_t emit, void *ctx)
{
    const book_t *book = b->book[id];
    if (!book || b->open[id] || (book_health(book) != FEED_LIVE && book_health(book) != FEED_STALE)) {
        return ERR_OK;
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
