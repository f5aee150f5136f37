#include "core/match/sim_venue.h"

#include <assert.h>
#include <string.h>

#include "core/book/ladder.h"
#include "core/types/hash.h"

#define INSTRUMENTS_MAX 4096u
#define FILLS_MAX 65536u

typedef struct venue_ins { /* one listed instrument; its book lies in the block of books */
    fee_t    fee;
    uint64_t feed_seq; /* rpt_seq of the feed's last message; the book counts our takes between them, too */
    uint32_t first[2]; /* our resting buys, sells in priority: better price, then time */
    uint32_t count;    /* of both */
    uint32_t mid;      /* 1 in the middle of a message: after a part that was not the LAST */
    uint32_t listed;
    uint32_t by_order; /* 1: the market comes as MBO_UPDATE */
} venue_ins_t;

struct sim_venue { /* then: instruments, scratch levels, own table, books, single orders */
    sim_venue_cfg_t cfg;
    uint64_t        own_at; /* offsets in the block */
    uint64_t        books_at;
    uint64_t        book_bytes;
    uint64_t        mbos_at;
    uint64_t        mbo_bytes; /* 0 = no market is by order */
};

/* ---- life ------------------------------------------------------------------------------------------------------- */

static size_t align_up(size_t at, size_t align)
{
    return (at + align - 1) / align * align;
}

static venue_ins_t *venue_instruments(sim_venue_t *venue)
{
    return (venue_ins_t *)(venue + 1);
}
static level_t *venue_scratch(sim_venue_t *venue)
{
    return (level_t *)(venue_instruments(venue) + venue->cfg.instruments_max);
}
static own_t *venue_own(sim_venue_t *venue)
{
    return (own_t *)((char *)venue + venue->own_at);
}
static book_t *venue_book(sim_venue_t *venue, uint32_t id)
{
    return (book_t *)((char *)venue + venue->books_at + (id - 1) * venue->book_bytes);
}
static mbo_t *venue_mbo(sim_venue_t *venue, uint32_t id)
{
    return (mbo_t *)((char *)venue + venue->mbos_at + (id - 1) * venue->mbo_bytes);
}

/* Is our place among the single orders of this market counted exactly? */
static bool venue_exact(const sim_venue_t *venue, const venue_ins_t *at)
{
    return at->by_order == 1 && venue->cfg.queue.model == QUEUE_L3;
}

/* Where the parts lie; false and a sentence when cfg is out of range. */
static bool venue_layout(const sim_venue_cfg_t *cfg, sim_venue_t *head, size_t *bytes)
{
    if (cfg->instruments_max == 0 || cfg->instruments_max > INSTRUMENTS_MAX) {
        err_set(ERR_ARG, "simulated venue: %u instruments, limit 1..%u", cfg->instruments_max, INSTRUMENTS_MAX);
        return false;
    }
    if (cfg->fills_max == 0 || cfg->fills_max > FILLS_MAX) {
        err_set(ERR_ARG, "simulated venue: %u levels in one sweep, limit 1..%u", cfg->fills_max, FILLS_MAX);
        return false;
    }
    const size_t own_bytes  = own_footprint(cfg->orders_max);
    const size_t book_bytes = book_footprint(&cfg->book);
    const bool   by_order   = cfg->mbo.orders_max != 0;
    const size_t mbo_bytes  = by_order ? mbo_footprint(&cfg->mbo) : 0;
    if (own_bytes == 0 || book_bytes == 0 || (by_order && mbo_bytes == 0) || queue_check(&cfg->queue) != ERR_OK) {
        return false;
    }
    head->cfg    = *cfg;
    head->own_at = align_up(
        sizeof *head + cfg->instruments_max * sizeof(venue_ins_t) + cfg->fills_max * sizeof(level_t), own_align());
    head->books_at   = align_up(head->own_at + own_bytes, book_align());
    head->book_bytes = align_up(book_bytes, book_align());
    head->mbo_bytes  = by_order ? align_up(mbo_bytes, mbo_align()) : 0;
    head->mbos_at    = align_up(head->books_at + cfg->instruments_max * head->book_bytes, mbo_align());
    *bytes           = head->mbos_at + cfg->instruments_max * head->mbo_bytes;
    return true;
}

size_t sim_venue_align(void)
{
    const size_t align = book_align() > mbo_align() ? book_align() : mbo_align();
    return align > _Alignof(sim_venue_t) ? align : _Alignof(sim_venue_t);
}

size_t sim_venue_footprint(const sim_venue_cfg_t *cfg)
{
    sim_venue_t head;
    size_t      bytes = 0;
    return venue_layout(cfg, &head, &bytes) ? bytes : 0;
}

sim_venue_t *sim_venue_new(void *mem, const sim_venue_cfg_t *cfg)
{
    sim_venue_t head  = {0};
    size_t      bytes = 0;
    if (!venue_layout(cfg, &head, &bytes)) {
        return NULL;
    }
    sim_venue_t *venue = mem;
    memset(venue, 0, head.books_at); /* the books are formatted when they are listed */
    *venue = head;
    own_new(venue_own(venue), cfg->orders_max, cfg->session);
    return venue;
}

uint32_t sim_venue_reports_max(const sim_venue_t *venue)
{
    /* A request: its answer, its fills, its end. Market data: the last fill of each open order; a FILL of a message by
     * order may also fill one in part, as may the levels of either side that come to cross us. */
    const uint32_t request = venue->cfg.fills_max + 2;
    const uint32_t market  = venue->cfg.orders_max + (venue->mbo_bytes == 0 ? 0 : MBO_UPDATE_MAX_ENTRIES + 2);
    return market > request ? market : request;
}

err_t sim_venue_instrument(sim_venue_t *venue, const instrument_t *ins, const fee_cfg_t *fee)
{
    const uint32_t id = ins->def.instrument_id;
    if (id == 0 || id > venue->cfg.instruments_max) {
        return err_set(ERR_RANGE, "simulated venue: instrument %s has id %u, limit 1..%u", ins->symbol, id,
                       venue->cfg.instruments_max);
    }
    venue_ins_t *at = &venue_instruments(venue)[id - 1];
    if (at->listed == 1) {
        return err_set(ERR_EXISTS, "simulated venue: instrument id %u is listed already, now %s", id, ins->symbol);
    }
    const err_t err = fee_check(fee);
    if (err != ERR_OK) {
        return err_wrap(err, "instrument %s", ins->symbol);
    }
    book_t *book = book_new(venue_book(venue, id), &venue->cfg.book, ins);
    assert(book != NULL);
    *at = (venue_ins_t){.feed_seq = book_rpt_seq(book), .first = {OWN_NONE, OWN_NONE}, .listed = 1};
    fee_begin(&at->fee, fee);
    if (venue->mbo_bytes != 0) {
        mbo_cfg_t     cfg  = venue->cfg.mbo;
        const int64_t tick = ins->bands[0].tick;
        cfg.tick           = ins->band_count == 1 && tick <= LADDER_TICK_MAX ? tick : 0; /* 0: learned */
        const mbo_t *mbo   = mbo_new(venue_mbo(venue, id), &cfg);
        assert(mbo != NULL);
    }
    return ERR_OK;
}

static venue_ins_t *venue_find(sim_venue_t *venue, uint32_t id)
{
    venue_ins_t *at = id == 0 || id > venue->cfg.instruments_max ? NULL : &venue_instruments(venue)[id - 1];
    return at != NULL && at->listed == 1 ? at : NULL;
}

/* ---- our resting orders, in priority ---------------------------------------------------------------------------- */

static unsigned side_index(side_t side)
{
    return side == SIDE_SELL;
}

static bool px_better(side_t side, int64_t a, int64_t b)
{
    return side == SIDE_BUY ? a > b : a < b;
}

/* Would an order of this side at limit trade with the opposite side at px? */
static bool px_meets(side_t side, int64_t limit, int64_t px)
{
    return side == SIDE_BUY ? px <= limit : px >= limit;
}

static side_t side_opposite(side_t side)
{
    return side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
}

/* What strangers have at a price, for our place in the queue. What we took off the view is still there by order: our place
 * is counted in the order's own terms. */
static int64_t level_qty(sim_venue_t *venue, uint32_t id, side_t side, int64_t px)
{
    mbo_level_t level;
    if (!venue_exact(venue, venue_find(venue, id))) {
        return book_qty_at(venue_book(venue, id), side, px);
    }
    return mbo_level_at(venue_mbo(venue, id), side, px, &level) ? level.qty : 0;
}

static void rest_link(sim_venue_t *venue, uint32_t row)
{
    own_order_t *rows  = own_rows(venue_own(venue));
    own_order_t *order = &rows[row];
    venue_ins_t *at    = venue_find(venue, order->req.instrument_id);
    const side_t side  = (side_t)order->req.side;
    uint32_t     prev  = OWN_NONE;
    uint32_t     next  = at->first[side_index(side)];
    while (next != OWN_NONE && !px_better(side, order->req.px, rows[next].req.px)) {
        prev = next;
        next = rows[next].next;
    }
    order->prev       = prev;
    order->next       = next;
    order->level_qty  = level_qty(venue, order->req.instrument_id, side, order->req.px);
    order->ahead_qty  = order->level_qty;
    order->traded_qty = 0;
    *(prev == OWN_NONE ? &at->first[side_index(side)] : &rows[prev].next) = row;
    if (next != OWN_NONE) {
        rows[next].prev = row;
    }
    at->count++;
}

static void rest_unlink(sim_venue_t *venue, uint32_t row)
{
    own_order_t *rows  = own_rows(venue_own(venue));
    own_order_t *order = &rows[row];
    venue_ins_t *at    = venue_find(venue, order->req.instrument_id);
    *(order->prev == OWN_NONE ? &at->first[side_index((side_t)order->req.side)] : &rows[order->prev].next) =
        order->next;
    if (order->next != OWN_NONE) {
        rows[order->next].prev = order->prev;
    }
    at->count--;
}

/* Fill a resting order of ours at its price; returns the row behind it. */
static uint32_t rest_fill(sim_venue_t *venue, uint32_t row, int64_t qty, int64_t ts_ns, exec_out_t *out)
{
    own_t         *own   = venue_own(venue);
    own_order_t   *order = &own_rows(own)[row];
    const uint32_t id    = order->req.instrument_id;
    const uint32_t next  = order->next;
    if (qty == own_leaves(order)) {
        rest_unlink(venue, row);
    }
    if (qty > 0) {
        own_fill(own, row, &venue_book(venue, id)->ins, &venue_find(venue, id)->fee, order->req.px, qty,
                 LIQUIDITY_MAKER, ts_ns, out);
    }
    return next;
}

/* What stands ahead of our orders of a side after a complete message. */
static void rest_judge(sim_venue_t *venue, const book_t *book, side_t side)
{
    own_order_t       *rows  = own_rows(venue_own(venue));
    const uint32_t     id    = book->ins.def.instrument_id;
    const int64_t      unit  = pow10_i64((unsigned)book->ins.def.qty_exp);
    const venue_ins_t *at    = venue_find(venue, id);
    const bool         exact = venue_exact(venue, at);
    for (uint32_t row = at->first[side_index(side)]; row != OWN_NONE; row = rows[row].next) {
        own_order_t  *order = &rows[row];
        const int64_t now   = level_qty(venue, id, side, order->req.px);
        if (exact) {
            order->ahead_qty = min_i64(order->ahead_qty, now);
        } else if (now != order->level_qty || order->ahead_qty > now) {
            order->ahead_qty =
                queue_ahead(&venue->cfg.queue, unit, order->ahead_qty, order->level_qty, now, order->traded_qty);
            order->traded_qty =
                0; /* told by the book now. A level that did not change keeps it: it may still be told */
        }
        order->level_qty = now;
    }
}

/* ---- liquidity that we take off our view of the book ------------------------------------------------------------ */

/* book_set: levels of one side get the quantity that we left of them. The book counts these messages in its rpt_seq. */
static void book_set(book_t *book, side_t side, const level_t *levels, uint32_t count)
{
    for (uint32_t at = 0; at < count; at += BOOK_UPDATE_MAX_LEVELS) {
        const uint32_t n       = count - at < BOOK_UPDATE_MAX_LEVELS ? count - at : BOOK_UPDATE_MAX_LEVELS;
        const uint32_t flags   = (at == 0 ? BOOK_FLAG_FIRST : 0) | (at + n == count ? BOOK_FLAG_LAST : 0);
        const err_t    applied = book_apply(book,
                                            &(book_update_t){.instrument_id   = book->ins.def.instrument_id,
                                                             .flags           = flags,
                                                             .rpt_seq         = book_rpt_seq(book) + 1,
                                                             .venue_seq_first = book_venue_seq(book),
                                                             .venue_seq       = book_venue_seq(book),
                                                             .bid_count       = (uint16_t)(side == SIDE_BUY ? n : 0),
                                                             .ask_count       = (uint16_t)(side == SIDE_BUY ? 0 : n)},
                                            levels + at, book_updated_mono_ns(book));
        assert(applied == ERR_OK);
    }
}

/* book_take: the same, by orders of ours: for those of ours that stand on this side it was no stranger's cancel. */
static void book_take(sim_venue_t *venue, book_t *book, side_t side, const level_t *levels, uint32_t count)
{
    own_order_t       *rows = own_rows(venue_own(venue));
    const venue_ins_t *at   = venue_find(venue, book->ins.def.instrument_id);
    for (uint32_t row = at->first[side_index(side)]; row != OWN_NONE; row = rows[row].next) {
        for (uint32_t i = 0; i < count; i++) {
            if (levels[i].px == rows[row].req.px) {
                const int64_t taken = book_qty_at(book, side, levels[i].px) - levels[i].qty;
                rows[row].level_qty = max_i64(rows[row].level_qty - taken, 0);
            }
        }
    }
    book_set(book, side, levels, count);
}

typedef struct sweep { /* what an order would take: levels in the scratch, best first, the last one perhaps in part */
    uint32_t count;
    bool     too_many;
    int64_t  qty;
} sweep_t;

static sweep_t sweep_plan(sim_venue_t *venue, const book_t *book, const order_req_t *req, int64_t qty)
{
    const side_t side     = (side_t)req->side;
    const bool   no_limit = req->ord_type == ORD_TYPE_MARKET && req->px == 0;
    sweep_t      sweep    = {0};
    level_t      level;
    for (book_iter_t it = book_iter(book, side_opposite(side)); sweep.qty < qty && book_iter_next(&it, &level);) {
        if (!no_limit && !px_meets(side, req->px, level.px)) {
            break;
        }
        const int64_t take = min_i64(level.qty, qty - sweep.qty);
        if (sweep.count == venue->cfg.fills_max) {
            sweep.too_many = true;
            break;
        }
        venue_scratch(venue)[sweep.count++] = (level_t){.px = level.px, .qty = take};
        sweep.qty += take;
    }
    return sweep;
}

/* Take what was planned; returns true when the order is filled and gone. */
static bool sweep_run(sim_venue_t *venue, book_t *book, uint32_t row, const sweep_t *sweep, int64_t ts_ns,
                      exec_out_t *out)
{
    own_t       *own    = venue_own(venue);
    const side_t side   = (side_t)own_rows(own)[row].req.side;
    fee_t       *fee    = &venue_find(venue, book->ins.def.instrument_id)->fee;
    level_t     *levels = venue_scratch(venue);
    bool         done   = false;
    for (uint32_t i = 0; i < sweep->count; i++) {
        done          = own_fill(own, row, &book->ins, fee, levels[i].px, levels[i].qty, LIQUIDITY_TAKER, ts_ns, out);
        levels[i].qty = book_qty_at(book, side_opposite(side), levels[i].px) - levels[i].qty;
    }
    book_take(venue, book, side_opposite(side), levels, sweep->count);
    return done;
}

/* ---- requests --------------------------------------------------------------------------------------------------- */

static venue_reject_t sweep_check(const sweep_t *sweep, const order_req_t *terms)
{
    if ((terms->exec_inst & EXEC_INST_POST_ONLY) != 0 && sweep->count > 0) {
        return VENUE_REJECT_POST_ONLY;
    }
    return sweep->too_many ? VENUE_REJECT_FILLS : VENUE_REJECT_NONE;
}

/* May orders take from this book, and queue in it? In the middle of a message it is neither the old one nor the new. */
static bool venue_open_for(sim_venue_t *venue, const book_t *book)
{
    return book_health(book) == FEED_LIVE && venue_find(venue, book->ins.def.instrument_id)->mid == 0;
}

static void request_new(sim_venue_t *venue, const order_req_t *req, int64_t ts_ns, exec_out_t *out)
{
    own_t             *own   = venue_own(venue);
    const venue_ins_t *at    = venue_find(venue, req->instrument_id);
    book_t            *book  = at == NULL ? NULL : venue_book(venue, req->instrument_id);
    venue_reject_t     code  = own_check_new(own, at == NULL ? NULL : &book->ins, req);
    sweep_t            sweep = {0};
    if (code == VENUE_REJECT_NONE && !venue_open_for(venue, book)) {
        code = VENUE_REJECT_CLOSED;
    }
    if (code == VENUE_REJECT_NONE) {
        sweep = sweep_plan(venue, book, req, req->qty);
        code  = sweep_check(&sweep, req);
    }
    if (code != VENUE_REJECT_NONE) {
        own_report_reject(own, req, code, ts_ns, out);
        return;
    }
    if (req->tif == TIF_FOK && sweep.qty < req->qty) {
        sweep = (sweep_t){0};
    }
    const uint32_t row = own_open(own, req, ts_ns, out);
    if (sweep_run(venue, book, row, &sweep, ts_ns, out)) {
        return;
    }
    if (req->ord_type == ORD_TYPE_LIMIT && (req->tif == TIF_GTC || req->tif == TIF_DAY)) {
        rest_link(venue, row);
    } else {
        own_close(own, row, EXEC_TYPE_EXPIRED, ts_ns, out);
    }
}

static void request_replace(sim_venue_t *venue, const order_req_t *req, int64_t ts_ns, exec_out_t *out)
{
    own_t         *own   = venue_own(venue);
    const uint32_t row   = own_find(own, req->orig_cl_ord_id);
    own_order_t   *order = &own_rows(own)[row == OWN_NONE ? 0 : row];
    if (row == OWN_NONE) {
        own_report_reject(own, req, VENUE_REJECT_UNKNOWN_ORDER, ts_ns, out);
        return;
    }
    book_t        *book  = venue_book(venue, order->req.instrument_id);
    order_req_t    terms = order->req; /* as they would be */
    venue_reject_t code  = own_check_replace(&book->ins, order, req);
    const bool     keeps = req->px == order->req.px && req->qty <= order->req.qty;
    sweep_t        sweep = {0};
    terms.px             = req->px;
    if (code == VENUE_REJECT_NONE && !venue_open_for(venue, book)) {
        code = VENUE_REJECT_CLOSED;
    }
    if (code == VENUE_REJECT_NONE && !keeps) {
        sweep = sweep_plan(venue, book, &terms, req->qty - order->cum_qty);
        code  = sweep_check(&sweep, &terms);
    }
    if (code != VENUE_REJECT_NONE) {
        own_report_reject(own, req, code, ts_ns, out);
        return;
    }
    if (keeps) {
        own_replaced(own, row, req, ts_ns, out);
        return;
    }
    rest_unlink(venue, row);
    own_replaced(own, row, req, ts_ns, out);
    if (!sweep_run(venue, book, row, &sweep, ts_ns, out)) {
        rest_link(venue, row);
    }
}

static void request_cancel(sim_venue_t *venue, const order_req_t *req, int64_t ts_ns, exec_out_t *out)
{
    own_t         *own = venue_own(venue);
    const uint32_t row = own_find(own, req->orig_cl_ord_id);
    if (row == OWN_NONE) {
        own_report_reject(own, req, VENUE_REJECT_UNKNOWN_ORDER, ts_ns, out);
        return;
    }
    rest_unlink(venue, row);
    own_close(own, row, EXEC_TYPE_CANCELED, ts_ns, out);
}

err_t sim_venue_request(sim_venue_t *venue, const order_req_t *req, int64_t ts_ns, exec_out_t *out)
{
    if (own_room(out) < sim_venue_reports_max(venue)) {
        return ERR_FULL;
    }
    switch (req->action) {
    case ORDER_ACTION_NEW: request_new(venue, req, ts_ns, out); break;
    case ORDER_ACTION_REPLACE: request_replace(venue, req, ts_ns, out); break;
    case ORDER_ACTION_CANCEL: request_cancel(venue, req, ts_ns, out); break;
    default: own_report_reject(venue_own(venue), req, VENUE_REJECT_UNSUPPORTED, ts_ns, out); break;
    }
    return ERR_OK;
}

/* ---- market data ------------------------------------------------------------------------------------------------ */

/* Our resting orders of a side against opposite levels that came to stand at or through their prices. */
static void cross_side(sim_venue_t *venue, book_t *book, side_t side, int64_t ts_ns, exec_out_t *out)
{
    own_order_t   *rows     = own_rows(venue_own(venue));
    const uint32_t id       = book->ins.def.instrument_id;
    const side_t   opposite = side_opposite(side);
    uint32_t       row      = venue_find(venue, id)->first[side_index(side)];
    while (row != OWN_NONE) {
        const int64_t leaves = own_leaves(&rows[row]);
        int64_t       filled = 0;
        while (filled < leaves) {
            level_t both[2]; /* bid, ask */
            book_best(book, &both[0].px, &both[0].qty, &both[1].px, &both[1].qty);
            level_t best = both[side_index(opposite)];
            if (best.qty == 0 || !px_meets(side, rows[row].req.px, best.px)) {
                break;
            }
            const int64_t take = min_i64(best.qty, leaves - filled);
            filled += take;
            best.qty -= take;
            book_take(venue, book, opposite, &best, 1);
        }
        if (filled == 0) {
            return; /* the next one has a worse price, or stands behind */
        }
        row = rest_fill(venue, row, filled, ts_ns, out);
    }
}

/* A complete message: fills by crossing levels, then what is ahead is judged anew. */
static void market_complete(sim_venue_t *venue, book_t *book, int64_t ts_ns, exec_out_t *out)
{
    for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
        cross_side(venue, book, side, ts_ns, out);
        rest_judge(venue, book, side);
    }
}

static void market_book(sim_venue_t *venue, book_update_t upd, const level_t *levels, int64_t ts_ns, exec_out_t *out)
{
    venue_ins_t *at   = venue_find(venue, upd.instrument_id);
    book_t      *book = venue_book(venue, upd.instrument_id);
    /* The feed's steps in rpt_seq, counted from where our takes have brought the book: a gap stays a gap. */
    const uint64_t feed_seq = upd.rpt_seq;
    upd.rpt_seq             = book_rpt_seq(book) + (feed_seq - at->feed_seq);
    at->feed_seq            = feed_seq;
    const err_t err         = book_apply(book, &upd, levels, ts_ns);
    const bool  last        = (upd.flags & BOOK_FLAG_LAST) != 0;
    at->mid                 = err == ERR_OK && !last;
    if (err == ERR_OK && last && book_health(book) == FEED_LIVE) {
        market_complete(venue, book, ts_ns, out);
    }
}

/* A trade meets our orders of one side. Returns what is left of its quantity. */
static int64_t trade_side(sim_venue_t *venue, const trade_t *trade, side_t side, int64_t qty, int64_t ts_ns,
                          exec_out_t *out)
{
    own_order_t *rows = own_rows(venue_own(venue));
    uint32_t     row  = venue_find(venue, trade->instrument_id)->first[side_index(side)];
    while (row != OWN_NONE && px_better(side, rows[row].req.px, trade->px)) {
        const int64_t take  = min_i64(qty, own_leaves(&rows[row]));
        rows[row].ahead_qty = 0; /* whoever stood there has been gone through, too */
        qty -= take;
        row = rest_fill(venue, row, take, ts_ns, out);
    }
    if (trade->aggressor_side != side_opposite(side)) {
        return qty;
    }
    /* At our price. Strangers and orders of ours stand in one queue: used is what strangers have used up so far. */
    int64_t used = 0;
    while (row != OWN_NONE && rows[row].req.px == trade->px) {
        const int64_t use = min_i64(qty, max_i64(rows[row].ahead_qty - used, 0));
        used += use;
        qty -= use;
        rows[row].ahead_qty = max_i64(rows[row].ahead_qty - used, 0);
        const int64_t take  = rows[row].ahead_qty == 0 ? min_i64(qty, own_leaves(&rows[row])) : 0;
        qty -= take;
        row = rest_fill(venue, row, take, ts_ns, out);
    }
    return qty;
}

/* The book will tell the same quantity: our orders at its price remember it. */
static void trade_told(sim_venue_t *venue, const venue_ins_t *at, const trade_t *trade)
{
    own_order_t *rows = own_rows(venue_own(venue));
    for (unsigned side = 0; side < 2; side++) {
        for (uint32_t row = at->first[side]; row != OWN_NONE; row = rows[row].next) {
            if (rows[row].req.px == trade->px &&
                __builtin_add_overflow(rows[row].traded_qty, trade->qty, &rows[row].traded_qty)) {
                rows[row].traded_qty = INT64_MAX;
            }
        }
    }
}

static void market_trade(sim_venue_t *venue, const trade_t *trade, int64_t ts_ns, exec_out_t *out)
{
    if (book_health(venue_book(venue, trade->instrument_id)) != FEED_LIVE || trade->qty <= 0) {
        return;
    }
    venue_ins_t *at = venue_find(venue, trade->instrument_id);
    if (venue_exact(venue, at)) {
        return; /* its FILLs say whom it met */
    }
    if (at->count > 0) {
        trade_told(venue, at, trade);
    }
    int64_t qty = trade->qty;
    if (trade->aggressor_side != SIDE_BUY) {
        qty = trade_side(venue, trade, SIDE_BUY, qty, ts_ns, out);
    }
    if (trade->aggressor_side != SIDE_SELL) {
        trade_side(venue, trade, SIDE_SELL, qty, ts_ns, out);
    }
    if (venue->cfg.trades_take == 1 && trade->aggressor_side != SIDE_NONE && at->mid == 0) {
        book_t       *book  = venue_book(venue, trade->instrument_id);
        const side_t  side  = side_opposite((side_t)trade->aggressor_side);
        const int64_t shown = book_qty_at(book, side, trade->px);
        if (shown > 0) {
            book_set(book, side, &(level_t){.px = trade->px, .qty = max_i64(shown - trade->qty, 0)}, 1);
        }
    }
}

/* ---- market data by order ---------------------------------------------------------------------------------------- */

/* A FILL of a stranger's order, of which `overlap` stands ahead of ours at its price, would have met our better prices,
 * then what of it is ahead of us, then us. */
static void order_filled(sim_venue_t *venue, const venue_ins_t *at, const mbo_order_t *order, int64_t start,
                         int64_t qty, int64_t ts_ns, exec_out_t *out)
{
    own_order_t *rows = own_rows(venue_own(venue));
    const side_t side = (side_t)order->side;
    uint32_t     row  = at->first[side_index(side)];
    int64_t      used = 0;
    while (row != OWN_NONE && qty > 0 && px_better(side, rows[row].req.px, order->px)) {
        const int64_t take = min_i64(qty, own_leaves(&rows[row]));
        qty -= take;
        row = rest_fill(venue, row, take, ts_ns, out);
    }
    while (row != OWN_NONE && qty > 0 && rows[row].req.px == order->px) {
        const int64_t overlap = max_i64(0, min_i64(rows[row].ahead_qty - start, order->qty));
        const int64_t use     = min_i64(qty, max_i64(overlap - used, 0));
        used += use;
        qty -= use;
        const int64_t take = used >= overlap ? min_i64(qty, own_leaves(&rows[row])) : 0;
        qty -= take;
        row = rest_fill(venue, row, take, ts_ns, out);
    }
}

/* qty of a stranger's order leaves its place: how much of it stood within the first `ahead` of its level. A fill takes its
 * front first, a cancel its back: they differ only when that place lies inside of it, after a snapshot or a part taken. */
static int64_t ahead_left(int64_t ahead, const mbo_order_t *order, int64_t start, int64_t qty, bool filled)
{
    const int64_t overlap = max_i64(0, min_i64(ahead - start, order->qty));
    return filled ? min_i64(qty, overlap) : max_i64(0, qty - (order->qty - overlap));
}

/* The quantity of an order that leaves its place by an entry, all of it when it loses the place; the entry's is 1 or more. */
static int64_t entry_leaving(const mbo_entry_t *entry, const mbo_order_t *order)
{
    if (entry->action != MBO_MODIFY) {
        return min_i64(entry->qty, order->qty);
    }
    return entry->px != order->px || entry->qty > order->qty ? order->qty : order->qty - entry->qty;
}

/* What becomes of our orders when this happens to a stranger's, before it does. */
static void entry_meets_us(sim_venue_t *venue, const venue_ins_t *at, const mbo_t *mbo, const mbo_entry_t *entry,
                           bool open, int64_t ts_ns, exec_out_t *out)
{
    mbo_order_t order;
    if (at->count == 0 || entry->action == MBO_ADD || entry->qty < 1 || !mbo_find(mbo, entry->order_id, &order)) {
        return; /* what is wrong with it, the orders say */
    }
    own_order_t *rows = own_rows(venue_own(venue));
    uint32_t     row  = at->first[side_index((side_t)order.side)];
    if (row == OWN_NONE || px_better((side_t)order.side, order.px, rows[row].req.px)) {
        return; /* better than our best: it tells nothing of us */
    }
    const int64_t qty = entry_leaving(entry, &order);
    while (row != OWN_NONE && rows[row].req.px != order.px) {
        row = rows[row].next;
    }
    const int64_t start = row == OWN_NONE ? 0 : mbo_ahead(mbo, entry->order_id);
    if (entry->action == MBO_FILL && open) {
        order_filled(venue, at, &order, start, qty, ts_ns, out);
    }
    for (row = at->first[side_index((side_t)order.side)]; row != OWN_NONE; row = rows[row].next) {
        if (rows[row].req.px == order.px) {
            rows[row].ahead_qty -= ahead_left(rows[row].ahead_qty, &order, start, qty, entry->action == MBO_FILL);
        }
    }
}

static err_t entry_apply(mbo_t *mbo, const mbo_entry_t *entry)
{
    switch ((mbo_action_t)entry->action) {
    case MBO_ADD: return mbo_add(mbo, entry->order_id, (side_t)entry->side, entry->px, entry->qty);
    case MBO_MODIFY: return mbo_modify(mbo, entry->order_id, entry->px, entry->qty);
    case MBO_CANCEL:
    case MBO_FILL: return mbo_reduce(mbo, entry->order_id, entry->qty);
    case MBO_NONE: break;
    }
    mbo_feed(mbo, FEED_BROKEN, FEED_REASON_GARBLED);
    return err_set(ERR_ARG, "simulated venue: an entry by order has action %u, limit 1..4", entry->action);
}

/* The view from all single orders: after an auction, or when the book lost what the orders still know. */
static void view_rebuild(sim_venue_t *venue, venue_ins_t *at, book_t *book, const mbo_t *mbo, int64_t ts_ns,
                         exec_out_t *out)
{
    mbo_level_t   level;
    side_t        side = SIDE_BUY;
    bool          more = mbo_level(mbo, side, 0, &level);
    book_update_t upd  = {.instrument_id = book->ins.def.instrument_id, .flags = BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST};
    do {
        level_t  levels[BOOK_UPDATE_MAX_LEVELS];
        uint32_t n    = 0;
        upd.bid_count = upd.ask_count = 0;
        upd.rpt_seq                   = book_rpt_seq(book) + 1;
        while (n < BOOK_UPDATE_MAX_LEVELS && (more || side == SIDE_BUY)) {
            if (more) {
                levels[n++] = (level_t){.px = level.px, .qty = level.qty};
                *(side == SIDE_BUY ? &upd.bid_count : &upd.ask_count) += 1;
                more = mbo_worse(mbo, side, &level);
            } else {
                side = SIDE_SELL;
                more = mbo_level(mbo, side, 0, &level);
            }
        }
        upd.flags |= more || side == SIDE_BUY ? 0 : BOOK_FLAG_LAST;
        if (book_apply(book, &upd, levels, ts_ns) != ERR_OK) {
            return; /* off its tick grid, or too many levels: the book says why, and stays BROKEN */
        }
        upd.flags &= ~(uint32_t)BOOK_FLAG_FIRST;
    } while ((upd.flags & BOOK_FLAG_LAST) == 0);
    if (book_health(book) == FEED_LIVE) {
        market_complete(venue, book, ts_ns, out);
    }
    at->mid = 0;
}

typedef struct touched { /* levels that the entries of a message touch, bids, asks */
    struct {
        int64_t px;
        int64_t taken; /* what our orders took of it and the view has not: its first orders */
    } level[2][BOOK_UPDATE_MAX_LEVELS];
    uint32_t count[2];
} touched_t;

/* The taken quantity of a level, now or as the entries before it left it. */
static int64_t *touch(touched_t *touched, const book_t *book, const mbo_t *mbo, side_t side, int64_t px, bool snapshot)
{
    const unsigned s = side_index(side);
    uint32_t       i = 0;
    while (i < touched->count[s] && touched->level[s][i].px != px) {
        i++;
    }
    if (i == touched->count[s]) {
        mbo_level_t level;
        mbo_level_at(mbo, side, px, &level); /* all 0 when there is none */
        touched->count[s]++;
        touched->level[s][i].px    = px;
        touched->level[s][i].taken = snapshot ? 0 : max_i64(0, level.qty - book_qty_at(book, side, px));
    }
    return &touched->level[s][i].taken;
}

/* Those levels as the view has them from now on, bids first; the counts go to upd. */
static void touched_levels(const touched_t *touched, const mbo_t *mbo, book_update_t *upd,
                           level_t out[BOOK_UPDATE_MAX_LEVELS])
{
    upd->bid_count = (uint16_t)touched->count[0];
    upd->ask_count = (uint16_t)touched->count[1];
    for (unsigned s = 0; s < 2; s++) {
        for (uint32_t i = 0; i < touched->count[s]; i++) {
            mbo_level_t level;
            mbo_level_at(mbo, s == 0 ? SIDE_BUY : SIDE_SELL, touched->level[s][i].px, &level);
            *out++ =
                (level_t){.px = touched->level[s][i].px, .qty = max_i64(0, level.qty - touched->level[s][i].taken)};
        }
    }
}

/* One entry: our orders, then the strangers'. */
static err_t entry_run(sim_venue_t *venue, const venue_ins_t *at, const book_t *book, mbo_t *mbo,
                       const mbo_entry_t *entry, bool snapshot, touched_t *touched, int64_t ts_ns, exec_out_t *out)
{
    mbo_order_t before = {0};
    mbo_find(mbo, entry->order_id, &before);
    if (!snapshot && venue_exact(venue, at)) {
        entry_meets_us(venue, at, mbo, entry, book_health(book) == FEED_LIVE, ts_ns, out);
    }
    if (before.id != 0 && entry->action != MBO_ADD && entry->qty > 0) {
        int64_t *taken = touch(touched, book, mbo, (side_t)before.side, before.px, snapshot);
        if (*taken > 0) {
            *taken -= ahead_left(*taken, &before, mbo_ahead(mbo, entry->order_id), entry_leaving(entry, &before),
                                 entry->action == MBO_FILL);
        }
    }
    if (entry->action == MBO_ADD || (entry->action == MBO_MODIFY && before.id != 0 && before.px != entry->px)) {
        touch(touched, book, mbo, entry->action == MBO_ADD ? (side_t)entry->side : (side_t)before.side, entry->px,
              snapshot);
    }
    return entry_apply(mbo, entry);
}

static void orders_broken(book_t *book, mbo_t *mbo, feed_reason_t reason, int64_t ts_ns)
{
    const feed_state_t state = {
        .instrument_id = book->ins.def.instrument_id, .health = FEED_BROKEN, .reason = (uint8_t)reason};
    mbo_feed(mbo, FEED_BROKEN, reason);
    book_feed(book, &state, ts_ns);
}

static void market_orders(sim_venue_t *venue, const msg_t *msg, int64_t ts_ns, exec_out_t *out)
{
    const mbo_update_t *in       = msg->body;
    const mbo_entry_t  *entries  = msg->tail;
    venue_ins_t        *at       = venue_find(venue, in->instrument_id);
    book_t             *book     = venue_book(venue, in->instrument_id);
    mbo_t              *mbo      = venue_mbo(venue, in->instrument_id);
    const bool          snapshot = (in->flags & BOOK_FLAG_SNAPSHOT) != 0;
    const bool          begins   = snapshot && (in->flags & BOOK_FLAG_FIRST) != 0;
    const bool          last     = (in->flags & BOOK_FLAG_LAST) != 0;
    const bool          in_order = begins || in->rpt_seq == at->feed_seq + 1;
    book_update_t       upd      = {.instrument_id   = in->instrument_id,
                                    .flags           = in->flags,
                                    .rpt_seq         = in->rpt_seq,
                                    .venue_seq_first = in->venue_seq_first,
                                    .venue_seq       = in->venue_seq};
    touched_t           touched;
    level_t             levels[BOOK_UPDATE_MAX_LEVELS];
    touched.count[0] = touched.count[1] = 0;
    at->by_order                        = 1;
    if (begins) {
        mbo_clear(mbo);
    }
    const bool known = mbo_health(mbo) != FEED_BROKEN;
    if (!in_order || !known || msg->tail_count > MBO_UPDATE_MAX_ENTRIES) {
        if (known) {
            orders_broken(book, mbo, in_order ? FEED_REASON_GARBLED : FEED_REASON_LOST, ts_ns);
        }
        at->feed_seq = in->rpt_seq;
        return;
    }
    for (uint32_t i = 0; i < msg->tail_count; i++) {
        if (entry_run(venue, at, book, mbo, &entries[i], snapshot, &touched, ts_ns, out) != ERR_OK) {
            orders_broken(book, mbo, mbo_reason(mbo), ts_ns);
            at->feed_seq = in->rpt_seq;
            return;
        }
    }
    if (last && mbo_health(mbo) == FEED_RECOVERING) {
        mbo_feed(mbo, FEED_LIVE, FEED_REASON_NONE);
    }
    if (last && mbo_crossed(mbo)) { /* before an auction: nothing trades, and the view waits */
        const feed_state_t state = {
            .instrument_id = in->instrument_id, .health = FEED_BROKEN, .reason = FEED_REASON_CROSSED};
        book_feed(book, &state, ts_ns);
        at->mid      = 0;
        at->feed_seq = in->rpt_seq;
    } else if (!begins && book_health(book) == FEED_BROKEN) {
        at->feed_seq = in->rpt_seq;
        if (last && mbo_health(mbo) == FEED_LIVE) {
            view_rebuild(venue, at, book, mbo, ts_ns, out);
        }
    } else {
        touched_levels(&touched, mbo, &upd, levels);
        market_book(venue, upd, levels, ts_ns, out);
    }
}

static void market_feed(sim_venue_t *venue, const feed_state_t *state, int64_t ts_ns)
{
    book_feed(venue_book(venue, state->instrument_id), state, ts_ns);
    if (venue_find(venue, state->instrument_id)->by_order == 1) {
        mbo_feed(venue_mbo(venue, state->instrument_id), (feed_health_t)state->health, (feed_reason_t)state->reason);
    }
}

err_t sim_venue_market(sim_venue_t *venue, const msg_t *msg, int64_t ts_ns, exec_out_t *out)
{
    if (msg->type != MSG_BOOK_UPDATE && msg->type != MSG_MBO_UPDATE && msg->type != MSG_TRADE &&
        msg->type != MSG_FEED_STATE) {
        return ERR_OK;
    }
    const uint32_t     id = *(const uint32_t *)msg->body; /* the first member of all four */
    const venue_ins_t *at = venue_find(venue, id);
    if (at == NULL) {
        return err_set(ERR_NOT_FOUND, "simulated venue: %s of instrument %u, which is not listed",
                       msg_type_str(msg->type), id);
    }
    if (msg->type == MSG_MBO_UPDATE && venue->mbo_bytes == 0) {
        return err_set(ERR_STATE,
                       "simulated venue: MBO_UPDATE of instrument %u, but it was made for no market by order", id);
    }
    if (own_room(out) < sim_venue_reports_max(venue)) {
        return ERR_FULL;
    }
    if (msg->type == MSG_BOOK_UPDATE) {
        market_book(venue, *(const book_update_t *)msg->body, msg->tail, ts_ns, out);
    } else if (msg->type == MSG_MBO_UPDATE) {
        market_orders(venue, msg, ts_ns, out);
    } else if (msg->type == MSG_TRADE) {
        market_trade(venue, msg->body, ts_ns, out);
    } else {
        market_feed(venue, msg->body, ts_ns);
    }
    return ERR_OK;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

const own_t *sim_venue_orders(const sim_venue_t *venue)
{
    return (const own_t *)((const char *)venue + venue->own_at);
}

const instrument_t *sim_venue_listed(const sim_venue_t *venue, uint32_t id)
{
    const venue_ins_t *all = (const venue_ins_t *)(venue + 1);
    if (id == 0 || id > venue->cfg.instruments_max || all[id - 1].listed == 0) {
        return NULL;
    }
    const book_t *book = (const book_t *)((const char *)venue + venue->books_at + (id - 1) * venue->book_bytes);
    return &book->ins;
}

int64_t sim_venue_ahead(sim_venue_t *venue, uint64_t cl_ord_id)
{
    const uint32_t row = own_find(venue_own(venue), cl_ord_id);
    return row == OWN_NONE ? -1 : own_rows(venue_own(venue))[row].ahead_qty;
}

uint64_t sim_venue_hash(uint64_t hash, sim_venue_t *venue)
{
    hash = own_hash(hash, venue_own(venue));
    for (uint32_t id = 1; id <= venue->cfg.instruments_max; id++) {
        const venue_ins_t *at = venue_find(venue, id);
        if (at != NULL) {
            hash = book_hash(hash_bytes(hash_u64(hash, id), at, sizeof *at), venue_book(venue, id));
            hash = at->by_order == 1 ? mbo_hash(hash, venue_mbo(venue, id)) : hash;
        }
    }
    return hash;
}

_Static_assert(offsetof(book_update_t, instrument_id) == 0 && offsetof(mbo_update_t, instrument_id) == 0 &&
                   offsetof(trade_t, instrument_id) == 0 && offsetof(feed_state_t, instrument_id) == 0,
               "read before the type is told apart");
_Static_assert(sizeof(venue_ins_t) == sizeof(fee_t) + 32, "no padding: hashed whole");
_Static_assert(sizeof(sim_venue_t) % _Alignof(level_t) == 0, "parts follow each other");
