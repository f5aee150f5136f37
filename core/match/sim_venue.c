#include "core/match/sim_venue.h"

#include <assert.h>
#include <string.h>

#include "core/types/hash.h"

#define INSTRUMENTS_MAX 4096u
#define FILLS_MAX 65536u

typedef struct venue_ins { /* one listed instrument; its book lies in the block of books */
    fee_cfg_t fee;
    uint64_t  feed_seq; /* rpt_seq of the feed's last message; the book counts our takes between them, too */
    uint32_t  first[2]; /* our resting buys, sells in priority: better price, then time */
    uint32_t  count;    /* of both */
    uint32_t  mid;      /* 1 in the middle of a message: after a part that was not the LAST */
    uint32_t  listed;
    uint32_t  reserved;
} venue_ins_t;

struct sim_venue { /* then: instruments, scratch levels, own table, books */
    sim_venue_cfg_t cfg;
    uint64_t        own_at; /* offsets in the block */
    uint64_t        books_at;
    uint64_t        book_bytes;
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
    if (own_bytes == 0 || book_bytes == 0) {
        return false;
    }
    head->cfg    = *cfg;
    head->own_at = align_up(
        sizeof *head + cfg->instruments_max * sizeof(venue_ins_t) + cfg->fills_max * sizeof(level_t), own_align());
    head->books_at   = align_up(head->own_at + own_bytes, book_align());
    head->book_bytes = align_up(book_bytes, book_align());
    *bytes           = head->books_at + cfg->instruments_max * head->book_bytes;
    return true;
}

size_t sim_venue_align(void)
{
    return book_align() > _Alignof(sim_venue_t) ? book_align() : _Alignof(sim_venue_t);
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
    /* A request: its answer, its fills, its end. Market data: at most one fill for each open order. */
    const uint32_t request = venue->cfg.fills_max + 2;
    return venue->cfg.orders_max > request ? venue->cfg.orders_max : request;
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
    const err_t err = own_fee_check(fee);
    if (err != ERR_OK) {
        return err_wrap(err, "instrument %s", ins->symbol);
    }
    book_t *book = book_new(venue_book(venue, id), &venue->cfg.book, ins);
    assert(book != NULL);
    *at = (venue_ins_t){.fee = *fee, .feed_seq = book_rpt_seq(book), .first = {OWN_NONE, OWN_NONE}, .listed = 1};
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
    order->prev      = prev;
    order->next      = next;
    order->ahead_qty = book_qty_at(venue_book(venue, order->req.instrument_id), side, order->req.px);
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
    own_t           *own    = venue_own(venue);
    const side_t     side   = (side_t)own_rows(own)[row].req.side;
    const fee_cfg_t *fee    = &venue_find(venue, book->ins.def.instrument_id)->fee;
    level_t         *levels = venue_scratch(venue);
    bool             done   = false;
    for (uint32_t i = 0; i < sweep->count; i++) {
        done          = own_fill(own, row, &book->ins, fee, levels[i].px, levels[i].qty, LIQUIDITY_TAKER, ts_ns, out);
        levels[i].qty = book_qty_at(book, side_opposite(side), levels[i].px) - levels[i].qty;
    }
    book_set(book, side_opposite(side), levels, sweep->count);
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
            level_t best = book->best[side_index(opposite)];
            if (best.qty == 0 || !px_meets(side, rows[row].req.px, best.px)) {
                break;
            }
            const int64_t take = min_i64(best.qty, leaves - filled);
            filled += take;
            best.qty -= take;
            book_set(book, opposite, &best, 1);
        }
        if (filled == 0) {
            return; /* the next one has a worse price, or stands behind */
        }
        row = rest_fill(venue, row, filled, ts_ns, out);
    }
}

/* A complete message: fills by crossing levels, then ahead shrinks to what is visible. */
static void market_complete(sim_venue_t *venue, book_t *book, int64_t ts_ns, exec_out_t *out)
{
    own_order_t *rows = own_rows(venue_own(venue));
    for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
        cross_side(venue, book, side, ts_ns, out);
        uint32_t row = venue_find(venue, book->ins.def.instrument_id)->first[side_index(side)];
        for (; row != OWN_NONE; row = rows[row].next) {
            rows[row].ahead_qty = min_i64(rows[row].ahead_qty, book_qty_at(book, side, rows[row].req.px));
        }
    }
}

static void market_book(sim_venue_t *venue, const msg_t *msg, int64_t ts_ns, exec_out_t *out)
{
    book_update_t upd  = *(const book_update_t *)msg->body;
    venue_ins_t  *at   = venue_find(venue, upd.instrument_id);
    book_t       *book = venue_book(venue, upd.instrument_id);
    /* The feed's steps in rpt_seq, counted from where our takes have brought the book: a gap stays a gap. */
    const uint64_t feed_seq = upd.rpt_seq;
    upd.rpt_seq             = book_rpt_seq(book) + (feed_seq - at->feed_seq);
    at->feed_seq            = feed_seq;
    const err_t err         = book_apply(book, &upd, msg->tail, ts_ns);
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

static void market_trade(sim_venue_t *venue, const trade_t *trade, int64_t ts_ns, exec_out_t *out)
{
    if (book_health(venue_book(venue, trade->instrument_id)) != FEED_LIVE || trade->qty <= 0) {
        return;
    }
    int64_t qty = trade->qty;
    if (trade->aggressor_side != SIDE_BUY) {
        qty = trade_side(venue, trade, SIDE_BUY, qty, ts_ns, out);
    }
    if (trade->aggressor_side != SIDE_SELL) {
        trade_side(venue, trade, SIDE_SELL, qty, ts_ns, out);
    }
}

err_t sim_venue_market(sim_venue_t *venue, const msg_t *msg, int64_t ts_ns, exec_out_t *out)
{
    if (msg->type != MSG_BOOK_UPDATE && msg->type != MSG_TRADE && msg->type != MSG_FEED_STATE) {
        return ERR_OK;
    }
    const uint32_t     id = *(const uint32_t *)msg->body; /* the first member of all three */
    const venue_ins_t *at = venue_find(venue, id);
    if (at == NULL) {
        return err_set(ERR_NOT_FOUND, "simulated venue: %s of instrument %u, which is not listed",
                       msg_type_str(msg->type), id);
    }
    if (own_room(out) < sim_venue_reports_max(venue)) {
        return ERR_FULL;
    }
    if (msg->type == MSG_BOOK_UPDATE) {
        market_book(venue, msg, ts_ns, out);
    } else if (msg->type == MSG_TRADE) {
        market_trade(venue, msg->body, ts_ns, out);
    } else {
        book_feed(venue_book(venue, id), msg->body, ts_ns);
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
        }
    }
    return hash;
}

_Static_assert(offsetof(book_update_t, instrument_id) == 0 && offsetof(trade_t, instrument_id) == 0 &&
                   offsetof(feed_state_t, instrument_id) == 0,
               "read before the type is told apart");
_Static_assert(sizeof(venue_ins_t) == 48, "no padding: hashed whole");
_Static_assert(sizeof(sim_venue_t) % _Alignof(level_t) == 0, "parts follow each other");
