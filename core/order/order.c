#include "core/order/order.h"

#include <assert.h>
#include <string.h>

#include "core/types/hash.h"

/* The arena:  header | rows | side lists, two an instrument | index of ClOrdIDs | fills, a ring | index of exec ids.
 * An index is open addressing with linear probing, at most half full; a cell is hash32 << 32 | row + 1, and 0 is empty.
 * Rows are removed by shifting their followers back, so there are no tombstones to sweep. */

#define ORDER_TABLE_MAGIC 0x3130524544524f48ULL /* "HORDER01" */

typedef struct order_list {
    uint32_t first;
    uint32_t last;
} order_list_t;

typedef struct order_fill { /* one execution, booked */
    uint64_t exec_id_hi;
    uint64_t exec_id_lo;
    uint64_t cl_ord_id; /* of the order whose exec_qty it is in; 0 = booked beside any order */
    int64_t  qty;       /* signed */
    int64_t  px;
    int64_t  fee;
    uint32_t account_id;
    uint32_t strategy_id;
    uint32_t instrument_id;
    uint32_t busted;
} order_fill_t;

_Static_assert(sizeof(order_fill_t) == 64, "one line, no padding");

struct order_table {
    uint64_t     magic;
    order_cfg_t  cfg;
    uint32_t     rows_used;  /* rows ever opened: rows 0 .. rows_used - 1 are in a list */
    uint32_t     open_count; /* in `open` */
    order_list_t open;       /* may trade or have a gap: newest first */
    order_list_t closed;     /* longest closed first */
    uint64_t     fill_count; /* ever booked: the ring's free-running head */
    uint32_t     row_mask;   /* cells of the indexes, less one */
    uint32_t     fill_mask;
    uint64_t     rows_off;
    uint64_t     sides_off;
    uint64_t     row_index_off;
    uint64_t     fills_off;
    uint64_t     fill_index_off;
    uint64_t     size_bytes;
};

_Static_assert(sizeof(struct order_table) == 112, "no padding");

/* ---- arena ------------------------------------------------------------------------------------------------------- */

static uint64_t round_64(uint64_t bytes)
{
    return (bytes + 63) & ~63ULL;
}

static uint32_t index_cells(uint32_t rows)
{
    uint32_t cells = 4;
    while (cells < 2 * rows) {
        cells *= 2;
    }
    return cells;
}

static err_t cfg_check(const order_cfg_t *cfg)
{
    if (cfg->orders_max == 0 || cfg->orders_max > ORDER_ROWS_MAX) {
        return err_set(ERR_ARG, "order table: orders_max %u is not in 1..%u", cfg->orders_max, ORDER_ROWS_MAX);
    }
    if (cfg->fills_max == 0 || cfg->fills_max > ORDER_ROWS_MAX) {
        return err_set(ERR_ARG, "order table: fills_max %u is not in 1..%u", cfg->fills_max, ORDER_ROWS_MAX);
    }
    if (cfg->instruments_max == 0 || cfg->instruments_max > ORDER_INSTRUMENTS_MAX) {
        return err_set(ERR_ARG, "order table: instruments_max %u is not in 1..%u", cfg->instruments_max,
                       ORDER_INSTRUMENTS_MAX);
    }
    return ERR_OK;
}

/* Sizes and offsets of a table with this cfg; the rest of *t is zero. */
static void layout(const order_cfg_t *cfg, order_table_t *t)
{
    *t                = (order_table_t){.cfg = *cfg};
    t->row_mask       = index_cells(cfg->orders_max) - 1;
    t->fill_mask      = index_cells(cfg->fills_max) - 1;
    t->rows_off       = round_64(sizeof *t);
    t->sides_off      = t->rows_off + cfg->orders_max * sizeof(order_t);
    t->row_index_off  = round_64(t->sides_off + (cfg->instruments_max + 1ULL) * 2 * sizeof(uint32_t));
    t->fills_off      = round_64(t->row_index_off + (t->row_mask + 1ULL) * sizeof(uint64_t));
    t->fill_index_off = round_64(t->fills_off + cfg->fills_max * sizeof(order_fill_t));
    t->size_bytes     = round_64(t->fill_index_off + (t->fill_mask + 1ULL) * sizeof(uint64_t));
}

size_t order_align(void)
{
    return 64;
}

size_t order_footprint(const order_cfg_t *cfg)
{
    order_table_t t;
    if (cfg_check(cfg) != ERR_OK) {
        return 0;
    }
    layout(cfg, &t);
    return t.size_bytes;
}

static void *at_off(const order_table_t *t, uint64_t off)
{
    /* The table is either ours to write or const to the caller; both go through here, so constness ends here. */
    return (void *)((uintptr_t)t + off);
}

static order_t *row_at(const order_table_t *t, uint32_t row)
{
    assert(row < t->rows_used);
    return (order_t *)at_off(t, t->rows_off) + row;
}

static uint32_t *side_head(const order_table_t *t, uint32_t instrument_id, uint32_t side)
{
    assert(instrument_id <= t->cfg.instruments_max && (side == SIDE_BUY || side == SIDE_SELL));
    return (uint32_t *)at_off(t, t->sides_off) + instrument_id * 2 + (side - SIDE_BUY);
}

static order_fill_t *fill_at(const order_table_t *t, uint32_t slot)
{
    return (order_fill_t *)at_off(t, t->fills_off) + slot;
}

void *order_new(void *mem, const order_cfg_t *cfg)
{
    const size_t   bytes = order_footprint(cfg);
    order_table_t *t     = mem;
    if (bytes == 0) {
        return NULL;
    }
    assert((uintptr_t)mem % order_align() == 0);
    memset(mem, 0, bytes);
    layout(cfg, t);
    t->open   = (order_list_t){ORDER_NONE, ORDER_NONE};
    t->closed = (order_list_t){ORDER_NONE, ORDER_NONE};
    memset(at_off(t, t->sides_off), 0xff, (cfg->instruments_max + 1ULL) * 2 * sizeof(uint32_t));
    t->magic = ORDER_TABLE_MAGIC;
    return mem;
}

order_table_t *order_join(void *mem)
{
    order_table_t *t = mem;
    if ((uintptr_t)mem % order_align() != 0) {
        err_set(ERR_ARG, "order table: memory is not aligned to %zu bytes", order_align());
        return NULL;
    }
    if (t->magic != ORDER_TABLE_MAGIC || order_footprint(&t->cfg) != t->size_bytes) {
        err_set(ERR_ARG, "order table: no table of this version lies here (magic %016llx)",
                (unsigned long long)t->magic);
        return NULL;
    }
    return t;
}

/* ---- index ------------------------------------------------------------------------------------------------------- */

static uint32_t hash_mix(uint64_t key)
{
    return (uint32_t)((key * 0x9e3779b97f4a7c15ULL) >> 32);
}

static uint32_t hash_exec(uint32_t instrument_id, uint64_t hi, uint64_t lo)
{
    return hash_mix(lo ^ (hi * 0xff51afd7ed558ccdULL) ^ ((uint64_t)instrument_id << 40));
}

/* The next row at or after *at whose hash is this one, ORDER_NONE at the end of the run; start with *at = hash. */
static uint32_t index_next(const uint64_t *cells, uint32_t mask, uint32_t hash, uint32_t *at)
{
    for (;; (*at)++) {
        const uint64_t cell = cells[*at & mask];
        if (cell == 0) {
            return ORDER_NONE;
        }
        if (cell >> 32 == hash) {
            (*at)++;
            return (uint32_t)cell - 1;
        }
    }
}

static void index_add(uint64_t *cells, uint32_t mask, uint32_t hash, uint32_t row)
{
    uint32_t at = hash;
    while (cells[at & mask] != 0) {
        at++;
    }
    cells[at & mask] = (uint64_t)hash << 32 | (row + 1);
}

static void index_remove(uint64_t *cells, uint32_t mask, uint32_t hash, uint32_t row)
{
    uint32_t hole = hash & mask;
    while (cells[hole] != ((uint64_t)hash << 32 | (row + 1))) {
        assert(cells[hole] != 0);
        hole = (hole + 1) & mask;
    }
    for (uint32_t at = (hole + 1) & mask; cells[at] != 0; at = (at + 1) & mask) {
        const uint32_t home = (uint32_t)(cells[at] >> 32) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) { /* its run began at or before the hole */
            cells[hole] = cells[at];
            hole        = at;
        }
    }
    cells[hole] = 0;
}

uint32_t order_find(const order_table_t *t, uint64_t cl_ord_id)
{
    const uint64_t *cells = at_off(t, t->row_index_off);
    const uint32_t  hash  = hash_mix(cl_ord_id);
    uint32_t        at    = hash;
    uint32_t        row;
    do {
        row = index_next(cells, t->row_mask, hash, &at);
    } while (row != ORDER_NONE && row_at(t, row)->cl_ord_id != cl_ord_id);
    return row;
}

/* ---- fills ------------------------------------------------------------------------------------------------------- */

static order_fill_t *fill_find(const order_table_t *t, uint32_t instrument_id, uint64_t hi, uint64_t lo)
{
    const uint64_t *cells = at_off(t, t->fill_index_off);
    const uint32_t  hash  = hash_exec(instrument_id, hi, lo);
    uint32_t        at    = hash;
    for (;;) {
        const uint32_t slot = index_next(cells, t->fill_mask, hash, &at);
        if (slot == ORDER_NONE) {
            return NULL;
        }
        order_fill_t *fill = fill_at(t, slot);
        if (fill->exec_id_lo == lo && fill->exec_id_hi == hi && fill->instrument_id == instrument_id) {
            return fill;
        }
    }
}

static void fill_add(order_table_t *t, const order_fill_t *fill)
{
    uint64_t      *cells = at_off(t, t->fill_index_off);
    const uint32_t slot  = (uint32_t)(t->fill_count % t->cfg.fills_max);
    order_fill_t  *place = fill_at(t, slot);
    if (t->fill_count >= t->cfg.fills_max) {
        index_remove(cells, t->fill_mask, hash_exec(place->instrument_id, place->exec_id_hi, place->exec_id_lo), slot);
    }
    *place = *fill;
    index_add(cells, t->fill_mask, hash_exec(fill->instrument_id, fill->exec_id_hi, fill->exec_id_lo), slot);
    t->fill_count++;
}

/* ---- what an order says of itself -------------------------------------------------------------------------------- */

const order_t *order_at(const order_table_t *t, uint32_t row)
{
    return row_at(t, row);
}

bool order_is_open(const order_t *o)
{
    return o->closed_as == 0;
}

int64_t order_gap(const order_t *o)
{
    return max_i64(0, o->venue_cum - o->exec_qty);
}

int64_t order_leaves(const order_t *o)
{
    return o->closed_as ? 0 : max_i64(0, o->order_qty - max_i64(o->exec_qty, o->venue_cum));
}

int64_t order_eager_px(const order_t *o)
{
    if (o->replaces == 0) {
        return o->px;
    }
    return o->side == SIDE_BUY ? max_i64(o->px, o->pend_px_hi) : min_i64(o->px, o->pend_px_lo);
}

static bool part_counts(const order_t *o)
{
    return o->closed_as == 0 || order_gap(o) > 0;
}

/* Quantity up to which the order can still fill, as far as anyone knows. */
static int64_t qty_reach(const order_t *o)
{
    return o->replaces ? max_i64(o->order_qty, o->pend_qty) : o->order_qty;
}

void order_part(const order_t *o, order_part_t *part)
{
    *part = (order_part_t){0};
    if (!part_counts(o)) {
        return;
    }
    part->side   = o->side;
    part->counts = 1;
    part->qty    = o->closed_as ? order_gap(o) : max_i64(qty_reach(o) - o->exec_qty, order_gap(o));
    part->px_lo  = min_i64(o->px, o->px_value);
    part->px_hi  = max_i64(o->px, o->px_value);
    if (o->replaces) {
        part->px_lo = min_i64(part->px_lo, o->pend_px_lo);
        part->px_hi = max_i64(part->px_hi, o->pend_px_hi);
    }
}

/* One more replace under way: the envelope widens. */
static void envelope_add(order_t *o, int64_t px, int64_t px_value, int64_t order_qty)
{
    const bool first = o->replaces == 0;
    o->pend_qty      = first ? order_qty : max_i64(o->pend_qty, order_qty);
    o->pend_px_lo    = first ? min_i64(px, px_value) : min_i64(o->pend_px_lo, min_i64(px, px_value));
    o->pend_px_hi    = first ? max_i64(px, px_value) : max_i64(o->pend_px_hi, max_i64(px, px_value));
    o->replaces++;
}

static void envelope_drop(order_t *o, uint32_t replaces_left)
{
    o->replaces = replaces_left;
    if (replaces_left == 0) {
        o->pend_qty = o->pend_px_lo = o->pend_px_hi = 0;
    }
}

void order_part_replaced(const order_t *o, int64_t px, int64_t px_value, int64_t order_qty, order_part_t *part)
{
    order_t next = *o;
    envelope_add(&next, px, px_value, order_qty);
    order_part(&next, part);
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static void age_unlink(order_table_t *t, order_list_t *list, order_t *o)
{
    *(o->age_prev == ORDER_NONE ? &list->first : &row_at(t, o->age_prev)->age_next) = o->age_next;
    *(o->age_next == ORDER_NONE ? &list->last : &row_at(t, o->age_next)->age_prev)  = o->age_prev;
}

static void age_push_front(order_table_t *t, order_list_t *list, uint32_t row)
{
    order_t *o                                                                     = row_at(t, row);
    o->age_prev                                                                    = ORDER_NONE;
    o->age_next                                                                    = list->first;
    *(list->first == ORDER_NONE ? &list->last : &row_at(t, list->first)->age_prev) = row;
    list->first                                                                    = row;
}

static void age_push_back(order_table_t *t, order_list_t *list, uint32_t row)
{
    order_t *o                                                                    = row_at(t, row);
    o->age_next                                                                   = ORDER_NONE;
    o->age_prev                                                                   = list->last;
    *(list->last == ORDER_NONE ? &list->first : &row_at(t, list->last)->age_next) = row;
    list->last                                                                    = row;
}

static void side_unlink(order_table_t *t, order_t *o)
{
    *(o->side_prev == ORDER_NONE ? side_head(t, o->instrument_id, o->side) : &row_at(t, o->side_prev)->side_next) =
        o->side_next;
    if (o->side_next != ORDER_NONE) {
        row_at(t, o->side_next)->side_prev = o->side_prev;
    }
}

static void side_link(order_table_t *t, uint32_t row)
{
    order_t      *o    = row_at(t, row);
    const int64_t px   = order_eager_px(o);
    uint32_t     *link = side_head(t, o->instrument_id, o->side);
    o->side_prev       = ORDER_NONE;
    while (*link != ORDER_NONE) {
        order_t      *other    = row_at(t, *link);
        const int64_t other_px = order_eager_px(other);
        if (o->side == SIDE_BUY ? other_px < px : other_px > px) {
            other->side_prev = row;
            break;
        }
        o->side_prev = *link;
        link         = &other->side_next;
    }
    o->side_next = *link;
    *link        = row;
}

uint32_t order_first(const order_table_t *t)
{
    return t->open.first;
}

uint32_t order_next(const order_table_t *t, uint32_t row)
{
    return row_at(t, row)->age_next;
}

uint32_t order_side_first(const order_table_t *t, uint32_t instrument_id, side_t side)
{
    return *side_head(t, instrument_id, side);
}

uint32_t order_side_next(const order_table_t *t, uint32_t row)
{
    return row_at(t, row)->side_next;
}

uint32_t order_open_count(const order_table_t *t)
{
    return t->open_count;
}

uint32_t order_rows(const order_table_t *t)
{
    return t->rows_used;
}

bool order_waits(const order_t *o)
{
    return order_is_open(o) && (o->flags & (ORDER_UNKNOWN | ORDER_ASK | ORDER_ASKED)) != 0;
}

bool order_room(const order_table_t *t)
{
    return t->rows_used < t->cfg.orders_max || t->closed.first != ORDER_NONE;
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

static uint8_t status_shown(const order_t *o)
{
    if (o->closed_as) {
        return o->closed_as;
    }
    if (o->flags & ORDER_UNKNOWN) {
        return ORD_STATUS_UNKNOWN;
    }
    if (o->flags & ORDER_PENDING_CANCEL) {
        return ORD_STATUS_PENDING_CANCEL;
    }
    if (o->replaces) {
        return ORD_STATUS_PENDING_REPLACE;
    }
    if (o->cum_qty > 0) {
        return ORD_STATUS_PARTIALLY_FILLED;
    }
    return o->flags & ORDER_ACKED ? ORD_STATUS_NEW : ORD_STATUS_PENDING_NEW;
}

static void order_close(order_t *o, ord_status_t as)
{
    if (o->closed_as == 0) {
        o->closed_as = (uint8_t)as;
        o->flags &= ORDER_ACKED;
        envelope_drop(o, 0);
    }
}

typedef struct order_seen { /* where an order was listed before a change */
    bool    open;
    bool    counts;
    int64_t eager_px;
} order_seen_t;

static order_seen_t order_look(const order_t *o)
{
    return (order_seen_t){.open = order_is_open(o), .counts = part_counts(o), .eager_px = order_eager_px(o)};
}

/* After any change: close what is filled, show the status, move the row between lists. */
static void order_settle(order_table_t *t, uint32_t row, order_seen_t was)
{
    order_t *o = row_at(t, row);
    if (o->exec_qty >= qty_reach(o)) {
        order_close(o, ORD_STATUS_FILLED);
    }
    o->ord_status   = status_shown(o);
    const bool open = order_is_open(o);
    assert(was.open || !open); /* nothing opens again */
    if (was.open && (!open || order_eager_px(o) != was.eager_px)) {
        side_unlink(t, o);
        if (open) {
            side_link(t, row);
        }
    }
    const bool counts = part_counts(o);
    if (was.counts && !counts) {
        age_unlink(t, &t->open, o);
        age_push_back(t, &t->closed, row);
        t->open_count--;
    } else if (!was.counts && counts) { /* a gap shows after the end: the row must not be recycled */
        age_unlink(t, &t->closed, o);
        age_push_front(t, &t->open, row);
        t->open_count++;
    }
}

static uint32_t row_take(order_table_t *t)
{
    if (t->rows_used < t->cfg.orders_max) {
        return t->rows_used++;
    }
    const uint32_t row = t->closed.first;
    assert(row != ORDER_NONE); /* order_room() was asked by risk */
    order_t *o = row_at(t, row);
    index_remove(at_off(t, t->row_index_off), t->row_mask, hash_mix(o->cl_ord_id), row);
    age_unlink(t, &t->closed, o);
    return row;
}

uint32_t order_open(order_table_t *t, const order_req_t *req, int64_t px_value)
{
    assert(req->qty > 0 && order_find(t, req->cl_ord_id) == ORDER_NONE);
    const uint32_t row = row_take(t);
    order_t       *o   = row_at(t, row);
    *o                 = (order_t){.cl_ord_id     = req->cl_ord_id,
                                   .px            = req->px,
                                   .px_value      = px_value,
                                   .order_qty     = req->qty,
                                   .account_id    = req->account_id,
                                   .instrument_id = req->instrument_id,
                                   .tenant_id     = req->tenant_id,
                                   .strategy_id   = req->strategy_id,
                                   .side          = req->side,
                                   .ord_status    = ORD_STATUS_PENDING_NEW,
                                   .ord_type      = req->ord_type,
                                   .tif           = req->tif,
                                   .exec_inst     = req->exec_inst,
                                   .corr_hi       = req->corr_hi,
                                   .corr_lo       = req->corr_lo};
    index_add(at_off(t, t->row_index_off), t->row_mask, hash_mix(o->cl_ord_id), row);
    side_link(t, row);
    age_push_front(t, &t->open, row);
    t->open_count++;
    return row;
}

void order_cancel_sent(order_table_t *t, uint32_t row, now_t now)
{
    order_t           *o   = row_at(t, row);
    const order_seen_t was = order_look(o);
    assert(was.open);
    o->flags |= ORDER_PENDING_CANCEL;
    o->cancel_mono_ns = now.mono_ns;
    order_settle(t, row, was);
}

void order_replace_sent(order_table_t *t, uint32_t row, int64_t px, int64_t px_value, int64_t order_qty)
{
    order_t           *o   = row_at(t, row);
    const order_seen_t was = order_look(o);
    assert(was.open && order_qty > 0);
    envelope_add(o, px, px_value, order_qty);
    order_settle(t, row, was);
}

void order_ask(order_table_t *t, uint32_t row)
{
    order_t *o = row_at(t, row);
    if (order_is_open(o)) {
        o->flags |= ORDER_ASK;
    }
}

void order_asked(order_table_t *t, uint32_t row, now_t now)
{
    order_t *o = row_at(t, row);
    assert(order_is_open(o));
    o->flags         = (uint8_t)((o->flags & ~ORDER_ASK) | ORDER_ASKED);
    o->asked_mono_ns = now.mono_ns;
}

void order_unknown(order_table_t *t, uint32_t row)
{
    order_t           *o   = row_at(t, row);
    const order_seen_t was = order_look(o);
    if (was.open) {
        o->flags |= ORDER_UNKNOWN;
        o->not_found = 0;
        order_settle(t, row, was);
    }
}

/* ---- reports ----------------------------------------------------------------------------------------------------- */

static void alarm_raise(order_effect_t *effect, alarm_kind_t kind)
{
    effect->alarms |= 1U << kind;
}

/* The venue's word on what is filled, where a larger one means fills that we have not seen. */
static void cum_raise(order_t *o, int64_t cum_qty, int64_t gap_before, order_effect_t *effect)
{
    o->venue_cum = max_i64(o->venue_cum, cum_qty);
    if (order_gap(o) > gap_before) {
        alarm_raise(effect, ALARM_FILL_GAP);
        alarm_raise(effect, ALARM_QUERY_SENT);
    }
}

static void fill_on_order(order_t *o, const exec_report_t *rep, order_effect_t *effect)
{
    const int64_t gap     = order_gap(o);
    const bool    missing = rep->last_qty <= gap; /* one of the fills that the gap waits for */
    const int64_t eager   = order_eager_px(o);
    if (o->closed_as && o->closed_as != ORD_STATUS_FILLED && !missing) {
        alarm_raise(effect, ALARM_FILL_AFTER_DONE);
    }
    if (o->side == SIDE_BUY ? rep->last_px > eager : rep->last_px < eager) {
        alarm_raise(effect, ALARM_WORSE_THAN_LIMIT);
    }
    o->exec_qty += rep->last_qty;
    o->cum_qty += rep->last_qty;
    o->px_qty += mul_i64(rep->last_px, rep->last_qty);
    o->flags |= ORDER_ACKED;
    o->not_found = 0;
    if (o->exec_qty > qty_reach(o)) {
        alarm_raise(effect, ALARM_OVERFILL);
    }
    if (rep->cum_qty >= 0 && rep->cum_qty < o->cum_qty && !missing) {
        alarm_raise(effect, ALARM_CUM_BACKWARDS);
    }
    cum_raise(o, rep->cum_qty, gap, effect);
}

/* Can this be booked at all? effect has the ids. */
static bool fill_bookable(const order_table_t *t, const order_t *o, const exec_report_t *rep, const instrument_t *ins,
                          uint8_t side, const order_effect_t *effect)
{
    int64_t sum;
    return ins != NULL && rep->last_qty > 0 && rep->fee != INT64_MIN &&
           /* a bust gives it back negated */ (rep->exec_id_hi | rep->exec_id_lo) != 0 && effect->account_id != 0 &&
           effect->instrument_id != 0 && effect->instrument_id <= t->cfg.instruments_max &&
           (side == SIDE_BUY || side == SIDE_SELL) && !(o && __builtin_add_overflow(o->exec_qty, rep->last_qty, &sum));
}

/* o: NULL for a fill of no order of ours. */
static void apply_trade(order_table_t *t, order_t *o, const exec_report_t *rep, const instrument_t *ins,
                        order_effect_t *effect)
{
    const uint8_t side = o && rep->side == SIDE_NONE ? o->side : rep->side;
    if (!fill_bookable(t, o, rep, ins, side, effect)) {
        alarm_raise(effect, ALARM_BAD_FILL);
        return;
    }
    if (fill_find(t, effect->instrument_id, rep->exec_id_hi, rep->exec_id_lo)) {
        effect->duplicate = 1;
        return;
    }
    if (rep->last_px <= 0 && !ins->def.allow_negative) {
        alarm_raise(effect, ALARM_BAD_FILL_PRICE);
    }
    const bool ours = o && side == o->side;
    effect->booked  = 1;
    effect->qty     = side == SIDE_BUY ? rep->last_qty : -rep->last_qty;
    effect->px      = rep->last_px;
    effect->fee     = rep->fee;
    fill_add(t, &(order_fill_t){.exec_id_hi    = rep->exec_id_hi,
                                .exec_id_lo    = rep->exec_id_lo,
                                .cl_ord_id     = ours ? o->cl_ord_id : 0,
                                .qty           = effect->qty,
                                .px            = effect->px,
                                .fee           = effect->fee,
                                .account_id    = effect->account_id,
                                .strategy_id   = effect->strategy_id,
                                .instrument_id = effect->instrument_id});
    if (ours) {
        fill_on_order(o, rep, effect);
    } else {
        alarm_raise(effect, o ? ALARM_SIDE_MISMATCH : ALARM_UNKNOWN_ORDER_FILL);
    }
}

/* The order of the bust is the one that took the fill; the report's own order, if any, is not touched. */
static void apply_bust(order_table_t *t, const exec_report_t *rep, order_effect_t *effect)
{
    order_fill_t *fill = fill_find(t, effect->instrument_id, rep->exec_id_hi, rep->exec_id_lo);
    if (fill == NULL) {
        alarm_raise(effect, ALARM_UNKNOWN_EXEC);
        return;
    }
    if (fill->busted) {
        effect->duplicate = 1;
        return;
    }
    fill->busted        = 1;
    effect->booked      = 1;
    effect->account_id  = fill->account_id;
    effect->strategy_id = fill->strategy_id;
    effect->qty         = -fill->qty;
    effect->px          = fill->px;
    effect->fee         = -fill->fee;
    alarm_raise(effect, ALARM_BUST);
    const uint32_t row = fill->cl_ord_id ? order_find(t, fill->cl_ord_id) : ORDER_NONE;
    if (row != ORDER_NONE) {
        order_t           *o   = row_at(t, row);
        const order_seen_t was = order_look(o);
        const int64_t      qty = fill->qty < 0 ? -fill->qty : fill->qty;
        o->cum_qty -= qty;
        o->px_qty -= mul_i64(fill->px, qty);
        order_settle(t, row, was);
    }
}

/* qty and px are in force at the venue; 0 = it does not say. */
static void order_in_force(order_t *o, int64_t px, int64_t order_qty)
{
    const int64_t value_hi = o->replaces ? o->pend_px_hi : o->px_value;
    if (px == 0) {
        px = order_eager_px(o);
    }
    if (order_qty <= 0) {
        order_qty = qty_reach(o);
    }
    /* A buy is valued at its limit, a sell at the reference price of its check when that is higher. */
    o->px_value  = o->side == SIDE_BUY || (o->replaces == 0 && px != o->px) ? px : max_i64(px, value_hi);
    o->px        = px;
    o->order_qty = order_qty;
}

static void apply_closed(order_t *o, const exec_report_t *rep, ord_status_t as, order_effect_t *effect)
{
    const int64_t gap = order_gap(o);
    if (as == ORD_STATUS_CANCELED && o->closed_as == 0 && !(o->flags & (ORDER_PENDING_CANCEL | ORDER_UNKNOWN)) &&
        o->tif != TIF_IOC && o->tif != TIF_FOK) {
        alarm_raise(effect, ALARM_UNSOLICITED_CANCEL);
    }
    order_close(o, as);
    cum_raise(o, rep->cum_qty, gap, effect);
}

static void apply_status_open(order_t *o, const exec_report_t *rep)
{
    if (o->closed_as) {
        return; /* asked before it closed, answered after */
    }
    if (o->flags & ORDER_UNKNOWN) {
        o->flags &= ORDER_ACKED | ORDER_ASK;
        if (rep->order_qty > 0 && rep->px != 0) {
            order_in_force(o, rep->px, rep->order_qty);
            envelope_drop(o, 0);
        }
    }
    o->flags |= ORDER_ACKED;
    o->venue_cum = max_i64(rep->cum_qty >= 0 ? rep->cum_qty : o->venue_cum, o->exec_qty);
}

static void apply_status_closed(order_t *o, const exec_report_t *rep, ord_status_t as, order_effect_t *effect)
{
    if (rep->cum_qty >= 0 && rep->cum_qty < o->cum_qty) {
        alarm_raise(effect, ALARM_CUM_BACKWARDS);
    }
    if (rep->cum_qty >= 0) {
        o->venue_cum = max_i64(rep->cum_qty, o->exec_qty);
    } else if (as == ORD_STATUS_FILLED) {
        o->venue_cum = max_i64(o->venue_cum, o->order_qty);
    }
    o->flags = ORDER_ACKED;
    if (as == ORD_STATUS_FILLED) {
        envelope_drop(o, 0); /* FILLED itself comes with the last fill: until then there is a gap */
    } else {
        order_close(o, as);
    }
}

static void apply_status(order_t *o, const exec_report_t *rep, order_effect_t *effect)
{
    o->flags = (uint8_t)(o->flags & ~ORDER_ASKED);
    switch (rep->ord_status) {
    case ORD_STATUS_NONE:
        o->not_found++;
        if (o->not_found >= 2 && !(o->flags & ORDER_ACKED)) {
            order_close(o, ORD_STATUS_REJECTED);
        } else {
            o->flags |= ORDER_UNKNOWN; /* also one that we took for known */
        }
        return;
    case ORD_STATUS_FILLED:
    case ORD_STATUS_CANCELED:
    case ORD_STATUS_REJECTED:
    case ORD_STATUS_EXPIRED: apply_status_closed(o, rep, (ord_status_t)rep->ord_status, effect); break;
    default: apply_status_open(o, rep); break;
    }
    o->not_found = 0;
}

static void apply_alien(const exec_report_t *rep, order_effect_t *effect)
{
    bool working = false;
    switch (rep->exec_type) {
    case EXEC_TYPE_NEW:
    case EXEC_TYPE_REPLACED: working = true; break;
    case EXEC_TYPE_ORDER_STATUS:
        working = rep->ord_status != ORD_STATUS_NONE && rep->ord_status != ORD_STATUS_FILLED &&
                  rep->ord_status != ORD_STATUS_CANCELED && rep->ord_status != ORD_STATUS_REJECTED &&
                  rep->ord_status != ORD_STATUS_EXPIRED;
        break;
    default: break;
    }
    alarm_raise(effect, ALARM_ALIEN_ORDER);
    if (working) {
        alarm_raise(effect, ALARM_ACCOUNT_UNRECONCILED);
    }
}

static void apply_known(order_table_t *t, order_t *o, const exec_report_t *rep, const instrument_t *ins,
                        order_effect_t *effect)
{
    switch (rep->exec_type) {
    case EXEC_TYPE_NEW:
        o->not_found = 0;
        o->flags     = (uint8_t)((o->flags | ORDER_ACKED) & ~ORDER_UNKNOWN);
        break;
    case EXEC_TYPE_TRADE: apply_trade(t, o, rep, ins, effect); break;
    case EXEC_TYPE_CANCELED: apply_closed(o, rep, ORD_STATUS_CANCELED, effect); break;
    case EXEC_TYPE_EXPIRED: apply_closed(o, rep, ORD_STATUS_EXPIRED, effect); break;
    case EXEC_TYPE_REJECTED:
    case EXEC_TYPE_UNSENT: apply_closed(o, rep, ORD_STATUS_REJECTED, effect); break;
    case EXEC_TYPE_REPLACED:
        if (o->closed_as == 0) {
            order_in_force(o, rep->px, rep->order_qty);
            envelope_drop(o, o->replaces ? o->replaces - 1 : 0);
            o->flags = (uint8_t)((o->flags | ORDER_ACKED) & ~ORDER_UNKNOWN);
        }
        break;
    case EXEC_TYPE_REPLACE_REJECT: envelope_drop(o, o->replaces ? o->replaces - 1 : 0); break;
    case EXEC_TYPE_CANCEL_REJECT: o->flags = (uint8_t)(o->flags & ~ORDER_PENDING_CANCEL); break;
    case EXEC_TYPE_TIMEOUT:
        if (o->closed_as == 0) {
            o->flags |= ORDER_UNKNOWN;
        }
        break;
    case EXEC_TYPE_ORDER_STATUS: apply_status(o, rep, effect); break;
    default: alarm_raise(effect, ALARM_UNKNOWN_EXEC); break;
    }
}

/* The order that a report is about, ORDER_NONE when it names none or contradicts the one it names. */
static uint32_t report_row(const order_table_t *t, const exec_report_t *rep)
{
    const uint32_t row = rep->cl_ord_id ? order_find(t, rep->cl_ord_id) : ORDER_NONE;
    if (row != ORDER_NONE) {
        const order_t *o = row_at(t, row);
        if ((rep->account_id && rep->account_id != o->account_id) ||
            (rep->instrument_id && rep->instrument_id != o->instrument_id)) {
            return ORDER_NONE;
        }
    }
    return row;
}

void order_apply_exec(order_table_t *t, const exec_report_t *rep, const instrument_t *ins, order_effect_t *effect)
{
    const uint32_t row = report_row(t, rep);
    *effect            = (order_effect_t){.row           = row,
                                          .account_id    = rep->account_id,
                                          .strategy_id   = rep->strategy_id,
                                          .instrument_id = rep->instrument_id};
    if (row == ORDER_NONE) {
        switch (rep->exec_type) {
        case EXEC_TYPE_TRADE: apply_trade(t, NULL, rep, ins, effect); break;
        case EXEC_TYPE_TRADE_CANCEL: apply_bust(t, rep, effect); break;
        default: apply_alien(rep, effect); break;
        }
        return;
    }
    order_t           *o   = row_at(t, row);
    const order_seen_t was = order_look(o);
    effect->account_id     = o->account_id;
    effect->strategy_id    = o->strategy_id;
    effect->instrument_id  = o->instrument_id;
    effect->status_before  = o->ord_status;
    order_part(o, &effect->before);
    if (rep->exec_type == EXEC_TYPE_TRADE_CANCEL) {
        apply_bust(t, rep, effect);
    } else {
        apply_known(t, o, rep, ins, effect);
        if (rep->order_id_hi | rep->order_id_lo) {
            o->order_id_hi = rep->order_id_hi;
            o->order_id_lo = rep->order_id_lo;
        }
        order_settle(t, row, was);
    }
    effect->status_after = o->ord_status;
    order_part(o, &effect->after);
}

uint64_t order_hash(uint64_t hash, const order_table_t *t)
{
    return hash_bytes(hash, t, t->size_bytes);
}
