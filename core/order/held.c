/* The table of held orders: rows and slices in arrays, chained by number. */
#include "core/order/held.h"

#include <assert.h>
#include <string.h>

#include "core/match/id_map.h"
#include "core/types/hash.h"

#define HELD_TABLE_MAGIC 0x3130646c65486c77ULL

typedef struct chain { /* of age_prev, age_next */
    uint32_t first, last;
} chain_t;

struct held_table {
    uint64_t   magic;
    held_cfg_t cfg;
    uint64_t   size_bytes;
    uint64_t   rows_off, slices_off, row_index_off, slice_index_off, watch_off, heap_off;
    uint64_t   opened;
    uint32_t   row_slots, slice_slots; /* of the indexes */
    uint32_t   rows_used, slices_used;
    uint32_t   live_count, heap_count;
    chain_t    live, closed; /* rows: closed ones whose place may be taken */
    chain_t    ended;        /* slices */
    uint32_t   reserved[2];
};

_Static_assert(sizeof(struct held_table) == 144, "no padding: hashed as bytes");

/* ---- layout ------------------------------------------------------------------------------------------------------ */
static uint64_t round_64(uint64_t n)
{
    return (n + 63) & ~63ULL;
}

static void layout(const held_cfg_t *cfg, held_table_t *t)
{
    *t                 = (held_table_t){.cfg = *cfg};
    t->row_slots       = id_map_slots(cfg->rows_max);
    t->slice_slots     = id_map_slots(cfg->slices_max);
    t->rows_off        = round_64(sizeof *t);
    t->slices_off      = t->rows_off + cfg->rows_max * sizeof(held_t);
    t->row_index_off   = t->slices_off + cfg->slices_max * sizeof(held_slice_t);
    t->slice_index_off = round_64(t->row_index_off + t->row_slots * sizeof(id_slot_t));
    t->watch_off       = round_64(t->slice_index_off + t->slice_slots * sizeof(id_slot_t));
    t->heap_off        = round_64(t->watch_off + (cfg->instruments_max + 1ULL) * sizeof(uint32_t));
    t->size_bytes      = round_64(t->heap_off + cfg->rows_max * sizeof(uint32_t));
}

size_t held_align(void)
{
    return 64;
}

size_t held_footprint(const held_cfg_t *cfg)
{
    held_table_t t;
    if (cfg->rows_max == 0 || cfg->slices_max < cfg->rows_max || cfg->slices_max > HELD_ROWS_MAX ||
        cfg->instruments_max > ORDER_INSTRUMENTS_MAX || cfg->reserved != 0) {
        err_set(ERR_ARG, "held orders: %u rows (1..%u), %u slices (%u..%u), %u instruments (0..%u)", cfg->rows_max,
                HELD_ROWS_MAX, cfg->slices_max, cfg->rows_max, HELD_ROWS_MAX, cfg->instruments_max,
                ORDER_INSTRUMENTS_MAX);
        return 0;
    }
    layout(cfg, &t);
    return t.size_bytes;
}

static void *at_off(const held_table_t *t, uint64_t off)
{
    return (void *)((uintptr_t)t + off); /* the table is ours to write, or const to the caller; both come here */
}

static id_slot_t *row_index(const held_table_t *t)
{
    return at_off(t, t->row_index_off);
}

static id_slot_t *slice_index(const held_table_t *t)
{
    return at_off(t, t->slice_index_off);
}

static uint32_t *watch_head(const held_table_t *t, uint32_t instrument_id)
{
    assert(instrument_id <= t->cfg.instruments_max);
    return (uint32_t *)at_off(t, t->watch_off) + instrument_id;
}

static uint32_t *heap_of(const held_table_t *t)
{
    return at_off(t, t->heap_off);
}

void *held_new(void *mem, const held_cfg_t *cfg)
{
    const size_t  bytes = held_footprint(cfg);
    held_table_t *t     = mem;
    if (bytes == 0) {
        return NULL;
    }
    assert((uintptr_t)mem % held_align() == 0);
    memset(mem, 0, bytes);
    layout(cfg, t);
    t->live = t->closed = t->ended = (chain_t){HELD_NONE, HELD_NONE};
    memset(at_off(t, t->watch_off), 0xff, (cfg->instruments_max + 1ULL) * sizeof(uint32_t));
    t->magic = HELD_TABLE_MAGIC;
    return mem;
}

held_table_t *held_join(void *mem)
{
    held_table_t *t = mem;
    if ((uintptr_t)mem % held_align() != 0 || t->magic != HELD_TABLE_MAGIC ||
        held_footprint(&t->cfg) != t->size_bytes) {
        err_set(ERR_ARG, "held orders: no table of this version lies here, %zu bytes aligned", held_align());
        return NULL;
    }
    return t;
}

held_t *held_at(held_table_t *t, uint32_t row)
{
    assert(row < t->rows_used);
    return (held_t *)at_off(t, t->rows_off) + row;
}

const held_t *held_peek(const held_table_t *t, uint32_t row)
{
    assert(row < t->rows_used);
    return (const held_t *)at_off(t, t->rows_off) + row;
}

held_slice_t *held_slice_at(held_table_t *t, uint32_t slice)
{
    assert(slice < t->slices_used);
    return (held_slice_t *)at_off(t, t->slices_off) + slice;
}

const held_slice_t *held_slice_peek(const held_table_t *t, uint32_t slice)
{
    assert(slice < t->slices_used);
    return (const held_slice_t *)at_off(t, t->slices_off) + slice;
}

/* ---- chains by age ----------------------------------------------------------------------------------------------- */
static void row_link_last(held_table_t *t, chain_t *c, uint32_t row)
{
    held_t *h                                                            = held_at(t, row);
    h->age_prev                                                          = c->last;
    h->age_next                                                          = HELD_NONE;
    *(c->last == HELD_NONE ? &c->first : &held_at(t, c->last)->age_next) = row;
    c->last                                                              = row;
}

static void row_link_first(held_table_t *t, chain_t *c, uint32_t row)
{
    held_t *h                                                             = held_at(t, row);
    h->age_prev                                                           = HELD_NONE;
    h->age_next                                                           = c->first;
    *(c->first == HELD_NONE ? &c->last : &held_at(t, c->first)->age_prev) = row;
    c->first                                                              = row;
}

static void row_unlink(held_table_t *t, chain_t *c, uint32_t row)
{
    const held_t *h = held_at(t, row);

    *(h->age_prev == HELD_NONE ? &c->first : &held_at(t, h->age_prev)->age_next) = h->age_next;
    *(h->age_next == HELD_NONE ? &c->last : &held_at(t, h->age_next)->age_prev)  = h->age_prev;
}

static void slice_link(held_table_t *t, uint32_t slice, bool first)
{
    held_slice_t *s                                                                    = held_slice_at(t, slice);
    chain_t      *c                                                                    = &t->ended;
    s->age_prev                                                                        = first ? HELD_NONE : c->last;
    s->age_next                                                                        = first ? c->first : HELD_NONE;
    *(s->age_prev == HELD_NONE ? &c->first : &held_slice_at(t, s->age_prev)->age_next) = slice;
    *(s->age_next == HELD_NONE ? &c->last : &held_slice_at(t, s->age_next)->age_prev)  = slice;
}

static void slice_unlink(held_table_t *t, uint32_t slice)
{
    const held_slice_t *s = held_slice_at(t, slice);
    chain_t            *c = &t->ended;

    *(s->age_prev == HELD_NONE ? &c->first : &held_slice_at(t, s->age_prev)->age_next) = s->age_next;
    *(s->age_next == HELD_NONE ? &c->last : &held_slice_at(t, s->age_next)->age_prev)  = s->age_prev;
}

/* ---- slices ------------------------------------------------------------------------------------------------------ */
/* Take an ended slice from its row and from the index. */
static void slice_forget(held_table_t *t, uint32_t slice)
{
    held_slice_t *s = held_slice_at(t, slice);
    held_t       *h = held_at(t, s->row);
    assert(!s->open);
    id_map_drop(slice_index(t), t->slice_slots, s->cl_ord_id);
    *(s->prev == HELD_NONE ? &h->slices : &held_slice_at(t, s->prev)->next) = s->next;
    if (s->next != HELD_NONE) {
        held_slice_at(t, s->next)->prev = s->prev;
    }
    s->cl_ord_id = 0;
}

bool held_slice_room(const held_table_t *t)
{
    return t->slices_used < t->cfg.slices_max || t->ended.first != HELD_NONE;
}

uint32_t held_slice_open(held_table_t *t, uint32_t row, uint64_t cl_ord_id, int64_t qty)
{
    held_t  *h = held_at(t, row);
    uint32_t slice;
    assert(held_slice_room(t));
    if (t->slices_used < t->cfg.slices_max) {
        slice = t->slices_used++;
    } else {
        slice = t->ended.first;
        slice_unlink(t, slice);
        if (held_slice_at(t, slice)->cl_ord_id != 0) {
            slice_forget(t, slice);
        }
    }
    *held_slice_at(t, slice) = (held_slice_t){.cl_ord_id = cl_ord_id,
                                              .row       = row,
                                              .prev      = HELD_NONE,
                                              .next      = h->slices,
                                              .want_qty  = qty,
                                              .age_prev  = HELD_NONE,
                                              .age_next  = HELD_NONE,
                                              .open      = 1};
    if (h->slices != HELD_NONE) {
        held_slice_at(t, h->slices)->prev = slice;
    }
    h->slices = slice;
    h->open_slices++;
    id_map_put(slice_index(t), t->slice_slots, cl_ord_id, slice);
    return slice;
}

void held_slice_end(held_table_t *t, uint32_t slice)
{
    held_slice_t *s = held_slice_at(t, slice);
    assert(s->open);
    s->open = 0;
    held_at(t, s->row)->open_slices--;
    slice_link(t, slice, false);
}

void held_slice_count(held_table_t *t, uint32_t slice, int64_t cum_qty, i128_t px_qty)
{
    held_slice_t *s = held_slice_at(t, slice);
    held_t       *h = held_at(t, s->row);
    h->cum_qty += cum_qty - s->cum_qty;
    h->px_qty += px_qty - s->px_qty;
    s->cum_qty = cum_qty;
    s->px_qty  = px_qty;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */
/* The list of a row that is given up is no list any more: its other rows have ended as well. */
static void list_dissolve(held_table_t *t, uint32_t head)
{
    for (uint32_t row = head, next; row != HELD_NONE; row = next) {
        held_t *h    = held_at(t, row);
        next         = h->list_next;
        h->list_head = HELD_NONE;
        h->list_next = HELD_NONE;
    }
}

static uint32_t row_take(held_table_t *t)
{
    if (t->rows_used < t->cfg.rows_max) {
        return t->rows_used++;
    }
    const uint32_t row = t->closed.first;
    const held_t  *h   = held_at(t, row);
    row_unlink(t, &t->closed, row);
    list_dissolve(t, h->list_head);
    while (h->slices != HELD_NONE) {
        const uint32_t slice = h->slices;
        slice_unlink(t, slice);
        slice_forget(t, slice);
        slice_link(t, slice, true);
    }
    id_map_drop(row_index(t), t->row_slots, h->terms.cl_ord_id);
    return row;
}

bool held_room(const held_table_t *t, uint32_t list_head)
{
    return t->rows_used < t->cfg.rows_max ||
           (t->closed.first != HELD_NONE &&
            (list_head == HELD_NONE || held_peek(t, t->closed.first)->list_head != list_head));
}

/* A list that had ended goes on: its rows are not to be had for others. */
static void list_revive(held_table_t *t, uint32_t head)
{
    for (uint32_t row = head; row != HELD_NONE; row = held_at(t, row)->list_next) {
        row_unlink(t, &t->closed, row);
    }
}

static void list_append(held_table_t *t, uint32_t head, uint32_t row)
{
    uint32_t last = head;
    while (held_at(t, last)->list_next != HELD_NONE) {
        last = held_at(t, last)->list_next;
    }
    held_at(t, last)->list_next = row;
}

uint32_t held_open(held_table_t *t, const order_terms_req_t *terms, uint32_t list_head, int64_t utc_ns)
{
    assert(held_room(t, list_head));
    if (list_head != HELD_NONE && held_at(t, list_head)->list_live == 0) {
        list_revive(t, list_head);
    }
    const uint32_t row  = row_take(t);
    const uint32_t head = terms->list_id != 0 && terms->list_id == terms->cl_ord_id ? row : list_head;
    *held_at(t, row)    = (held_t){.terms        = *terms,
                                   .start_utc_ns = utc_ns,
                                   .opened       = ++t->opened,
                                   .watch_prev   = HELD_NONE,
                                   .watch_next   = HELD_NONE,
                                   .list_head    = head,
                                   .list_next    = HELD_NONE,
                                   .slices       = HELD_NONE};
    if (head != HELD_NONE) {
        held_at(t, head)->list_live++;
        if (head != row) {
            list_append(t, head, row);
        }
    }
    row_link_first(t, &t->live, row);
    t->live_count++;
    id_map_put(row_index(t), t->row_slots, terms->cl_ord_id, row);
    return row;
}

void held_close(held_table_t *t, uint32_t row, ord_status_t as)
{
    held_t *h = held_at(t, row);
    assert(h->stage != HELD_STAGE_DONE && h->open_slices == 0);
    held_watch(t, row, false);
    held_due(t, row, 0);
    row_unlink(t, &t->live, row);
    t->live_count--;
    h->stage      = HELD_STAGE_DONE;
    h->ord_status = (uint8_t)as;
    if (h->list_head == HELD_NONE) {
        row_link_last(t, &t->closed, row);
    } else if (--held_at(t, h->list_head)->list_live == 0) {
        for (uint32_t at = h->list_head; at != HELD_NONE; at = held_at(t, at)->list_next) {
            row_link_last(t, &t->closed, at);
        }
    }
}

/* ---- watched ----------------------------------------------------------------------------------------------------- */
void held_watch(held_table_t *t, uint32_t row, bool watched)
{
    held_t   *h    = held_at(t, row);
    uint32_t *head = watch_head(t, h->terms.instrument_id);
    if (h->watched == watched) {
        return;
    }
    h->watched = watched;
    if (!watched) {
        *(h->watch_prev == HELD_NONE ? head : &held_at(t, h->watch_prev)->watch_next) = h->watch_next;
        if (h->watch_next != HELD_NONE) {
            held_at(t, h->watch_next)->watch_prev = h->watch_prev;
        }
        h->watch_prev = h->watch_next = HELD_NONE;
        return;
    }
    h->watch_next = *head;
    if (*head != HELD_NONE) {
        held_at(t, *head)->watch_prev = row;
    }
    *head = row;
}

/* ---- due: a heap ------------------------------------------------------------------------------------------------- */
static bool sooner(held_table_t *t, uint32_t a, uint32_t b)
{
    const held_t *x = held_at(t, a), *y = held_at(t, b);
    return x->due_utc_ns != y->due_utc_ns ? x->due_utc_ns < y->due_utc_ns : x->opened < y->opened;
}

static void heap_put(held_table_t *t, uint32_t at, uint32_t row)
{
    heap_of(t)[at]           = row;
    held_at(t, row)->heap_at = at + 1;
}

/* Put row where it belongs, beginning at the hole at. */
static void heap_settle(held_table_t *t, uint32_t at, uint32_t row)
{
    uint32_t *heap = heap_of(t);
    for (; at > 0 && sooner(t, row, heap[(at - 1) / 2]); at = (at - 1) / 2) {
        heap_put(t, at, heap[(at - 1) / 2]);
    }
    for (uint32_t child = 2 * at + 1; child < t->heap_count; child = 2 * at + 1) {
        if (child + 1 < t->heap_count && sooner(t, heap[child + 1], heap[child])) {
            child++;
        }
        if (!sooner(t, heap[child], row)) {
            break;
        }
        heap_put(t, at, heap[child]);
        at = child;
    }
    heap_put(t, at, row);
}

void held_due(held_table_t *t, uint32_t row, int64_t utc_ns)
{
    held_t        *h  = held_at(t, row);
    const uint32_t at = h->heap_at;
    h->due_utc_ns     = utc_ns;
    if (utc_ns != 0) {
        heap_settle(t, at ? at - 1 : t->heap_count++, row);
    } else if (at != 0) {
        const uint32_t moved      = heap_of(t)[--t->heap_count];
        heap_of(t)[t->heap_count] = 0;
        h->heap_at                = 0;
        if (moved != row) {
            heap_settle(t, at - 1, moved);
        }
    }
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */
uint32_t held_find(const held_table_t *t, uint64_t cl_ord_id)
{
    return id_map_find(row_index(t), t->row_slots, cl_ord_id);
}

uint32_t held_slice_find(const held_table_t *t, uint64_t cl_ord_id)
{
    return id_map_find(slice_index(t), t->slice_slots, cl_ord_id);
}

uint32_t held_due_first(const held_table_t *t)
{
    return t->heap_count ? heap_of(t)[0] : HELD_NONE;
}

uint32_t held_first(const held_table_t *t)
{
    return t->live.first;
}

uint32_t held_next(const held_table_t *t, uint32_t row)
{
    return held_peek(t, row)->age_next;
}

uint32_t held_watch_first(const held_table_t *t, uint32_t instrument_id)
{
    return *watch_head(t, instrument_id);
}

uint32_t held_watch_next(const held_table_t *t, uint32_t row)
{
    return held_peek(t, row)->watch_next;
}

uint32_t held_count(const held_table_t *t)
{
    return t->live_count;
}

uint32_t held_rows(const held_table_t *t)
{
    return t->rows_used;
}

uint64_t held_hash(uint64_t hash, const held_table_t *t)
{
    return hash_bytes(hash, t, t->size_bytes);
}
