#include "core/order/order_private.h"

/* An index is open addressing with linear probing, at most half full; a cell is hash32 << 32 | row + 1, and 0 is empty.
 * Rows are removed by shifting their followers back, so there are no tombstones to sweep. */

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
    if (cfg->answer_ns < 0) {
        return err_set(ERR_ARG, "order table: answer_ns %lld is below 0", (long long)cfg->answer_ns);
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
    t->waits_off      = t->rows_off + cfg->orders_max * sizeof(order_t);
    t->answers_off    = round_64(t->waits_off + cfg->orders_max * sizeof(order_wait_t));
    t->sides_off      = round_64(t->answers_off + cfg->orders_max * sizeof(order_answers_t));
    t->row_index_off  = round_64(t->sides_off + (cfg->instruments_max + 1ULL) * 2 * sizeof(order_side_t));
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
    t->open    = (order_list_t){ORDER_NONE, ORDER_NONE};
    t->closed  = (order_list_t){ORDER_NONE, ORDER_NONE};
    t->waiting = (order_list_t){ORDER_NONE, ORDER_NONE};
    memset(t->walks, 0xff, sizeof t->walks);                                                         /* ORDER_NONE */
    memset(at_off(t, t->sides_off), 0xff, (cfg->instruments_max + 1ULL) * 2 * sizeof(order_side_t)); /* ORDER_NONE */
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

order_fill_t *order_fill_find(const order_table_t *t, uint32_t instrument_id, uint64_t hi, uint64_t lo)
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
        if (fill->instrument_id == instrument_id && fill->exec_id_lo == lo && fill->exec_id_hi == hi) {
            return fill;
        }
    }
}

void order_fill_add(order_table_t *t, const order_fill_t *fill)
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

void order_part(const order_t *o, order_part_t *part)
{
    *part = (order_part_t){0};
    if (!order_part_counts(o)) {
        return;
    }
    part->side            = o->side;
    part->counts          = 1;
    part->position_effect = o->position_effect;
    part->qty             = o->closed_as ? order_gap(o) : max_i64(order_qty_reach(o) - o->exec_qty, order_gap(o));
    part->px_lo           = min_i64(o->px, o->px_value);
    part->px_hi           = max_i64(o->px, o->px_value);
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

void order_part_replaced(const order_t *o, int64_t px, int64_t px_value, int64_t order_qty, order_part_t *part)
{
    order_t next = *o;
    envelope_add(&next, px, px_value, order_qty);
    order_part(&next, part);
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
    if (o->flags & ORDER_DONE_FOR_DAY) {
        return ORD_STATUS_DONE_FOR_DAY;
    }
    if (o->flags & ORDER_SUSPENDED) {
        return ORD_STATUS_SUSPENDED;
    }
    if (o->cum_qty > 0) {
        return ORD_STATUS_PARTIALLY_FILLED;
    }
    return o->flags & ORDER_ACKED ? ORD_STATUS_NEW : ORD_STATUS_PENDING_NEW;
}

void order_close(order_t *o, ord_status_t as)
{
    if (o->closed_as == 0) {
        o->closed_as = (uint8_t)as;
        o->flags &= ORDER_ACKED | ORDER_TRIGGERED;
        order_envelope_drop(o, 0);
    }
}

order_seen_t order_look(const order_t *o)
{
    return (order_seen_t){.open = order_is_open(o), .counts = order_part_counts(o), .eager_px = order_eager_px(o)};
}

/* After any change: close what is filled, show the status, move the row between lists. heard: the venue said something. */
void order_settle(order_table_t *t, uint32_t row, order_seen_t was, bool heard)
{
    order_t *o = row_at(t, row);
    if (o->exec_qty >= order_qty_reach(o)) {
        order_close(o, ORD_STATUS_FILLED);
    }
    o->ord_status   = status_shown(o);
    const bool open = order_is_open(o);
    assert(was.open || !open); /* nothing opens again */
    if (was.open && (!open || order_eager_px(o) != was.eager_px)) {
        order_side_unlink(t, row);
        if (open) {
            order_side_link(t, row);
        }
    }
    const bool counts = order_part_counts(o);
    if (was.counts && !counts) {
        order_age_leave_open(t, row);
        order_age_push_back(t, &t->closed, row);
    } else if (!was.counts && counts) { /* a gap shows after the end: the row must not be recycled */
        order_age_unlink(t, &t->closed, o);
        order_age_push_front(t, &t->open, row);
        t->open_count++;
    }
    order_wait_settle(t, row, heard);
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
    order_age_unlink(t, &t->closed, o);
    return row;
}

uint32_t order_open(order_table_t *t, const order_req_t *req, int64_t px_value)
{
    assert(req->qty > 0 && req->tenant_id <= UINT16_MAX && order_find(t, req->cl_ord_id) == ORDER_NONE);
    const uint32_t row        = row_take(t);
    order_t       *o          = row_at(t, row);
    *o                        = (order_t){.cl_ord_id       = req->cl_ord_id,
                                          .px              = req->px,
                                          .px_value        = px_value,
                                          .order_qty       = req->qty,
                                          .account_id      = req->account_id,
                                          .instrument_id   = req->instrument_id,
                                          .tenant_id       = (uint16_t)req->tenant_id,
                                          .strategy_id     = req->strategy_id,
                                          .side            = req->side,
                                          .ord_status      = ORD_STATUS_PENDING_NEW,
                                          .position_effect = (uint8_t)req->position_effect,
                                          .ord_type        = req->ord_type,
                                          .tif             = req->tif,
                                          .exec_inst       = req->exec_inst,
                                          .corr_hi         = req->corr_hi,
                                          .corr_lo         = req->corr_lo};
    wait_at(t, row)->since_ns = NOT_LISTED;
    *answers_at(t, row)       = (order_answers_t){0};
    index_add(at_off(t, t->row_index_off), t->row_mask, hash_mix(o->cl_ord_id), row);
    order_side_link(t, row);
    order_age_push_front(t, &t->open, row);
    t->open_count++;
    order_wait_settle(t, row, true);
    return row;
}

void order_cancel_sent(order_table_t *t, uint32_t row, now_t now)
{
    order_t           *o   = row_at(t, row);
    const order_seen_t was = order_look(o);
    assert(was.open);
    o->flags |= ORDER_PENDING_CANCEL;
    o->cancel_mono_ns = now.mono_ns;
    t->mono_ns        = max_i64(t->mono_ns, now.mono_ns);
    order_settle(t, row, was, false);
}

void order_replace_sent(order_table_t *t, uint32_t row, int64_t px, int64_t px_value, int64_t order_qty)
{
    order_t           *o   = row_at(t, row);
    const order_seen_t was = order_look(o);
    assert(was.open && order_qty > 0);
    envelope_add(o, px, px_value, order_qty);
    order_settle(t, row, was, false);
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
    t->mono_ns       = max_i64(t->mono_ns, now.mono_ns);
    order_wait_settle(t, row, false);
}

void order_unknown(order_table_t *t, uint32_t row)
{
    order_t           *o   = row_at(t, row);
    const order_seen_t was = order_look(o);
    if (was.open) {
        o->flags |= ORDER_UNKNOWN;
        o->not_found = 0;
        order_settle(t, row, was, false);
    }
}

uint64_t order_hash(uint64_t hash, const order_table_t *t)
{
    return hash_bytes(hash, t, t->size_bytes);
}
