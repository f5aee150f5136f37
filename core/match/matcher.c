#include "core/match/matcher.h"

#include <assert.h>
#include <string.h>

#include "core/match/id_map.h"
#include "core/types/num.h"

#define MAGIC 0x6877616c6d746368ULL /* "hwalmtch" */
#define VERSION 1u
#define NIL UINT32_MAX
#define SPARE 40u /* reports and entries of one order beside its fills: its own five, and the cuts of its owner */
#define FOREVER INT64_MAX

typedef enum heap {
    HEAP_STOP_BUY,
    HEAP_STOP_SELL,
    HEAP_TRAIL_BUY,
    HEAP_TRAIL_SELL,
    HEAP_GTD,
    HEAP_DAY, /* by arrival alone */
    HEAP_COUNT
} heap_t;
enum { SLOT_STOP, SLOT_TRAIL, SLOT_TERM, SLOT_COUNT }; /* an order is in one heap of each of these at most */

typedef struct row { /* an open order; stand 0: it is just entering, or the row is free and has only next */
    uint64_t id;
    int64_t  px;
    int64_t  qty;
    int64_t  cum_qty;
    int64_t  visible_qty;
    int64_t  display_qty;
    int64_t  stop_px;
    int64_t  trail;
    int64_t  expire_ns;
    uint64_t seq; /* of arrival; a new one when it loses its place */
    uint32_t owner;
    uint32_t next; /* of the owner's orders, oldest first */
    uint32_t prev;
    uint32_t queue_next;
    uint32_t queue_prev;
    uint32_t at[SLOT_COUNT]; /* where it is in its heaps; NIL = not there */
    uint8_t  side;
    uint8_t  ord_type;
    uint8_t  tif;
    uint8_t  stp;
    uint16_t exec_inst;
    uint16_t stand;
} row_t;

typedef struct owner {
    int64_t  position;
    int64_t  rest_qty[2]; /* open quantity in the book: buys, sells */
    uint32_t head;
    uint32_t tail;
    uint32_t reduce_count; /* open reduce-only orders */
    uint32_t reserved;
} owner_t;

struct matcher { /* then, each at its offset: owners, rows, heaps, id slots, events of one order, clob */
    uint64_t      magic;
    uint32_t      version;
    uint32_t      phase;
    uint64_t      bytes;
    matcher_cfg_t cfg;
    instrument_t  ins;
    uint64_t      owners_at;
    uint64_t      rows_at;
    uint64_t      heaps_at;
    uint64_t      slots_at;
    uint64_t      events_at;
    uint64_t      clob_at;
    uint64_t      seq;
    uint64_t      match_id;
    int64_t       last_px;
    uint32_t      has_last;
    uint32_t      slot_count;
    uint32_t      free_head;
    uint32_t      open_count;
    uint32_t      queue_head;
    uint32_t      queue_tail;
    uint32_t      heap_count[HEAP_COUNT];
    uint32_t      reserved;
};

typedef struct turn { /* one call */
    matcher_t     *m;
    matcher_out_t *out;
    int64_t        ts_ns;
} turn_t;

static void *part(const matcher_t *m, uint64_t offset)
{
    return (void *)((uintptr_t)m + offset);
}
static row_t *row_at(const matcher_t *m, uint32_t i)
{
    return (row_t *)part(m, m->rows_at) + i;
}
static owner_t *owner_at(const matcher_t *m, uint32_t owner)
{
    return (owner_t *)part(m, m->owners_at) + owner;
}
static id_slot_t *slots(const matcher_t *m)
{
    return part(m, m->slots_at);
}
static clob_t *clob_of(const matcher_t *m)
{
    return part(m, m->clob_at);
}

static int64_t leaves_of(const row_t *r)
{
    return r->qty - r->cum_qty;
}
static unsigned is_sell(const row_t *r)
{
    return r->side == SIDE_SELL;
}
static bool is_stop(unsigned ord_type)
{
    return ord_type >= ORD_TYPE_STOP && ord_type <= ORD_TYPE_TRAILING_STOP_LIMIT;
}
static bool is_trailing(unsigned ord_type)
{
    return ord_type == ORD_TYPE_TRAILING_STOP || ord_type == ORD_TYPE_TRAILING_STOP_LIMIT;
}
static bool is_limit(unsigned ord_type)
{
    return ord_type == ORD_TYPE_LIMIT || ord_type == ORD_TYPE_STOP_LIMIT || ord_type == ORD_TYPE_TRAILING_STOP_LIMIT;
}
static bool is_reduce_only(const row_t *r)
{
    return (r->exec_inst & EXEC_INST_REDUCE_ONLY) != 0;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static uint64_t place(uint64_t *end, uint64_t bytes)
{
    const uint64_t at = (*end + 63) / 64 * 64;
    *end              = at + bytes;
    return at;
}

/* The finest tick: all prices of all bands are multiples of it (a band's edge lies on its grid). */
static int64_t px_step_of(const instrument_t *ins)
{
    int64_t step = 0;
    for (uint32_t band = 0; band < ins->band_count; band++) {
        for (int64_t rest = ins->bands[band].tick; rest != 0;) {
            const int64_t next = step % rest;
            step               = rest;
            rest               = next;
        }
    }
    return step;
}

static clob_cfg_t clob_cfg_of(const matcher_cfg_t *cfg, int64_t px_step)
{
    return (clob_cfg_t){.px_step = px_step, .orders_max = cfg->orders_max, .window_ticks = cfg->window_ticks};
}

/* Offsets and size, all a function of cfg; 0 with a sentence when it is out of its limits. */
static uint64_t layout(matcher_t *m, const matcher_cfg_t *cfg)
{
    const clob_cfg_t clob_cfg   = clob_cfg_of(cfg, 1);
    const size_t     clob_bytes = clob_footprint(&clob_cfg);
    if (clob_bytes == 0) {
        err_wrap(ERR_ARG, "matcher");
        return 0;
    }
    if (cfg->owners_max > MATCHER_OWNERS_MAX || cfg->fills_max == 0 || cfg->fills_max > MATCHER_FILLS_MAX) {
        err_set(ERR_ARG, "matcher: %u owners, %u fills an order, limit 0..%u and 1..%u", cfg->owners_max,
                cfg->fills_max, MATCHER_OWNERS_MAX, MATCHER_FILLS_MAX);
        return 0;
    }
    assert(clob_align() <= 64);
    uint64_t end  = sizeof *m;
    m->slot_count = id_map_slots(cfg->orders_max);
    m->owners_at  = place(&end, (cfg->owners_max + 1ULL) * sizeof(owner_t));
    m->rows_at    = place(&end, cfg->orders_max * sizeof(row_t));
    m->heaps_at   = place(&end, (uint64_t)cfg->orders_max * HEAP_COUNT * sizeof(uint32_t));
    m->slots_at   = place(&end, m->slot_count * sizeof(id_slot_t));
    m->events_at  = place(&end, cfg->fills_max * sizeof(clob_event_t));
    m->clob_at    = place(&end, clob_bytes);
    return (end + 63) / 64 * 64;
}

size_t matcher_align(void)
{
    return 64;
}

size_t matcher_footprint(const matcher_cfg_t *cfg)
{
    matcher_t head = {0};
    return layout(&head, cfg);
}

matcher_t *matcher_new(void *mem, const matcher_cfg_t *cfg, const instrument_t *ins)
{
    matcher_t        head     = {0};
    const clob_cfg_t clob_cfg = clob_cfg_of(cfg, px_step_of(ins));
    const uint64_t   bytes    = layout(&head, cfg);
    if (bytes == 0) {
        return NULL;
    }
    memset(mem, 0, bytes);
    matcher_t *m  = mem;
    *m            = head;
    m->cfg        = *cfg;
    m->ins        = *ins;
    m->bytes      = bytes;
    m->phase      = MATCHER_OPEN;
    m->queue_head = NIL;
    m->queue_tail = NIL;
    if (clob_new(clob_of(m), &clob_cfg) == NULL) {
        err_wrap(ERR_ARG, "matcher: %s", ins->symbol);
        return NULL;
    }
    for (uint32_t owner = 0; owner <= cfg->owners_max; owner++) {
        *owner_at(m, owner) = (owner_t){.head = NIL, .tail = NIL};
    }
    for (uint32_t i = 0; i < cfg->orders_max; i++) {
        row_at(m, i)->next = i + 1 < cfg->orders_max ? i + 1 : NIL;
    }
    m->version = VERSION;
    m->magic   = MAGIC;
    return m;
}

matcher_t *matcher_join(void *mem)
{
    matcher_t *m    = mem;
    matcher_t  head = {0};
    if (m->magic != MAGIC || m->version != VERSION) {
        err_set(ERR_ARG, "matcher: magic %016llx version %u, limit %016llx and %u", (unsigned long long)m->magic,
                m->version, MAGIC, VERSION);
        return NULL;
    }
    const uint64_t bytes = layout(&head, &m->cfg);
    if (bytes != m->bytes || head.clob_at != m->clob_at) {
        err_set(ERR_ARG, "matcher: %llu bytes, limit the %llu of its own configuration", (unsigned long long)m->bytes,
                (unsigned long long)bytes);
        return NULL;
    }
    return m;
}

/* ---- heaps: rows by key, then arrival; each row knows where it is ------------------------------------------------ */

static unsigned heap_slot(heap_t heap)
{
    return heap >= HEAP_GTD ? SLOT_TERM : heap >= HEAP_TRAIL_BUY ? SLOT_TRAIL : SLOT_STOP;
}

static uint32_t *heap_rows(const matcher_t *m, heap_t heap)
{
    return (uint32_t *)part(m, m->heaps_at) + (size_t)heap * m->cfg.orders_max;
}

/* The least goes first: a stop that a moving price meets first, a water mark that it passes first. */
static int64_t heap_key(heap_t heap, const row_t *r)
{
    switch (heap) {
    case HEAP_STOP_BUY: return r->stop_px;
    case HEAP_STOP_SELL: return -r->stop_px;
    case HEAP_TRAIL_BUY: return -(r->stop_px - r->trail);
    case HEAP_TRAIL_SELL: return r->stop_px + r->trail;
    default: return r->expire_ns;
    }
}

static heap_t heap_of_term(const row_t *r)
{
    return r->tif == TIF_DAY ? HEAP_DAY : HEAP_GTD;
}

static bool heap_before(const matcher_t *m, heap_t heap, uint32_t a, uint32_t b)
{
    const row_t  *ra = row_at(m, a);
    const row_t  *rb = row_at(m, b);
    const int64_t ka = heap_key(heap, ra);
    const int64_t kb = heap_key(heap, rb);
    return ka != kb ? ka < kb : ra->seq < rb->seq;
}

static void heap_set(const matcher_t *m, heap_t heap, uint32_t at, uint32_t i)
{
    heap_rows(m, heap)[at]            = i;
    row_at(m, i)->at[heap_slot(heap)] = at;
}

/* Row i belongs somewhere around `at`: up, or else down. */
static void heap_settle(matcher_t *m, heap_t heap, uint32_t at, uint32_t i)
{
    const uint32_t *rows  = heap_rows(m, heap);
    const uint32_t  count = m->heap_count[heap];
    while (at > 0 && heap_before(m, heap, i, rows[(at - 1) / 2])) {
        heap_set(m, heap, at, rows[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap_before(m, heap, rows[child + 1], rows[child])) {
            child++;
        }
        if (!heap_before(m, heap, rows[child], i)) {
            break;
        }
        heap_set(m, heap, at, rows[child]);
    }
    heap_set(m, heap, at, i);
}

static void heap_add(matcher_t *m, heap_t heap, uint32_t i)
{
    const uint32_t at = m->heap_count[heap]++;
    heap_settle(m, heap, at, i);
}

static void heap_drop(matcher_t *m, heap_t heap, uint32_t i)
{
    uint32_t      *at   = &row_at(m, i)->at[heap_slot(heap)];
    const uint32_t hole = *at;
    if (hole == NIL) {
        return;
    }
    *at                 = NIL;
    const uint32_t last = --m->heap_count[heap];
    if (hole != last) {
        heap_settle(m, heap, hole, heap_rows(m, heap)[last]);
    }
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static uint32_t row_find(const matcher_t *m, uint64_t id)
{
    return id == 0 ? ID_MAP_NONE : id_map_find(slots(m), m->slot_count, id);
}

static void owner_link(matcher_t *m, uint32_t i)
{
    row_t   *r                                                   = row_at(m, i);
    owner_t *owner                                               = owner_at(m, r->owner);
    r->next                                                      = NIL;
    r->prev                                                      = owner->tail;
    *(r->prev == NIL ? &owner->head : &row_at(m, r->prev)->next) = i;
    owner->tail                                                  = i;
}

static void owner_unlink(matcher_t *m, const row_t *r)
{
    owner_t *owner                                               = owner_at(m, r->owner);
    *(r->prev == NIL ? &owner->head : &row_at(m, r->prev)->next) = r->next;
    *(r->next == NIL ? &owner->tail : &row_at(m, r->next)->prev) = r->prev;
}

static row_t row_of(const matcher_order_t *o)
{
    return (row_t){.id          = o->id,
                   .px          = o->px,
                   .qty         = o->qty,
                   .display_qty = o->display_qty,
                   .stop_px     = o->stop_px,
                   .trail       = o->trail,
                   .expire_ns   = o->tif == TIF_DAY ? FOREVER : o->expire_ns,
                   .owner       = o->owner,
                   .queue_next  = NIL,
                   .queue_prev  = NIL,
                   .at          = {NIL, NIL, NIL},
                   .side        = o->side,
                   .ord_type    = o->ord_type,
                   .tif         = o->tif,
                   .stp         = o->stp,
                   .exec_inst   = o->exec_inst};
}

static uint32_t row_take(matcher_t *m, const matcher_order_t *order)
{
    const uint32_t i = m->free_head;
    row_t         *r = row_at(m, i);
    m->free_head     = r->next;
    *r               = row_of(order);
    r->seq           = ++m->seq;
    m->open_count++;
    owner_at(m, r->owner)->reduce_count += is_reduce_only(r);
    owner_link(m, i);
    id_map_put(slots(m), m->slot_count, r->id, i);
    return i;
}

/* It is open from now on, and may have a term. */
static void row_stand(matcher_t *m, uint32_t i, matcher_stand_t stand)
{
    row_t *r = row_at(m, i);
    r->stand = (uint16_t)stand;
    if ((r->tif == TIF_DAY || r->tif == TIF_GTD) && r->at[SLOT_TERM] == NIL) {
        heap_add(m, heap_of_term(r), i);
    }
}

static void stop_drop(matcher_t *m, uint32_t i)
{
    const unsigned sell = is_sell(row_at(m, i));
    heap_drop(m, sell ? HEAP_STOP_SELL : HEAP_STOP_BUY, i);
    heap_drop(m, sell ? HEAP_TRAIL_SELL : HEAP_TRAIL_BUY, i);
}

static void queue_append(matcher_t *m, uint32_t i)
{
    row_t *r                                                                         = row_at(m, i);
    r->stand                                                                         = MATCHER_QUEUED;
    r->queue_next                                                                    = NIL;
    r->queue_prev                                                                    = m->queue_tail;
    *(m->queue_tail == NIL ? &m->queue_head : &row_at(m, m->queue_tail)->queue_next) = i;
    m->queue_tail                                                                    = i;
}

static void queue_remove(matcher_t *m, const row_t *r)
{
    *(r->queue_prev == NIL ? &m->queue_head : &row_at(m, r->queue_prev)->queue_next) = r->queue_next;
    *(r->queue_next == NIL ? &m->queue_tail : &row_at(m, r->queue_next)->queue_prev) = r->queue_prev;
}

/* Gone: from every list but the book, which is the caller's matter. */
static void row_free(matcher_t *m, uint32_t i)
{
    row_t *r = row_at(m, i);
    stop_drop(m, i);
    heap_drop(m, heap_of_term(r), i);
    if (r->stand == MATCHER_QUEUED) {
        queue_remove(m, r);
    }
    owner_unlink(m, r);
    owner_at(m, r->owner)->reduce_count -= is_reduce_only(r);
    id_map_drop(slots(m), m->slot_count, r->id);
    *r           = (row_t){.next = m->free_head};
    m->free_head = i;
    m->open_count--;
}

/* It lost its place: the newest of all. */
static void row_renew(matcher_t *m, uint32_t i)
{
    row_t *r = row_at(m, i);
    r->seq   = ++m->seq;
    owner_unlink(m, r);
    owner_link(m, i);
    if (r->at[SLOT_TERM] != NIL) {
        heap_settle(m, heap_of_term(r), r->at[SLOT_TERM], i);
    }
}

/* ---- what is said ----------------------------------------------------------------------------------------------- */

static matcher_report_t *report_add(const turn_t *t, const row_t *r, matcher_exec_t exec)
{
    matcher_out_t *out = t->out;
    assert(out->report_count < out->report_cap);
    matcher_report_t *report = &out->reports[out->report_count++];
    *report                  = (matcher_report_t){.id         = r->id,
                                                  .px         = r->px,
                                                  .stop_px    = r->stop_px,
                                                  .order_qty  = r->qty,
                                                  .cum_qty    = r->cum_qty,
                                                  .leaves_qty = leaves_of(r),
                                                  .ts_ns      = t->ts_ns,
                                                  .owner      = r->owner,
                                                  .exec       = (uint8_t)exec,
                                                  .side       = r->side,
                                                  .ord_type   = r->ord_type,
                                                  .tif        = r->tif};
    return report;
}

/* A new order that is not let in: nothing of it is open. */
static void report_reject(const turn_t *t, const row_t *r, venue_reject_t code)
{
    matcher_report_t *report = report_add(t, r, MATCHER_REJECTED);
    report->leaves_qty       = 0;
    report->code             = (uint16_t)code;
}

/* What is left of it is gone. */
static void report_end(const turn_t *t, const row_t *r, matcher_exec_t exec, matcher_reason_t reason,
                       venue_reject_t code)
{
    matcher_report_t *report = report_add(t, r, exec);
    report->last_qty         = report->leaves_qty;
    report->leaves_qty       = 0;
    report->reason           = (uint8_t)reason;
    report->code             = (uint16_t)code;
}

/* qty of it is taken off, and something is left. */
static void restate(const turn_t *t, row_t *r, int64_t qty, matcher_reason_t reason)
{
    r->qty -= qty;
    assert(leaves_of(r) > 0);
    matcher_report_t *report = report_add(t, r, MATCHER_RESTATED);
    report->last_qty         = qty;
    report->reason           = (uint8_t)reason;
}

static void entry_add(const turn_t *t, const row_t *r, mbo_action_t action, int64_t qty)
{
    matcher_out_t *out = t->out;
    assert(out->entry_count < out->entry_cap && qty > 0);
    out->entries[out->entry_count++] =
        (mbo_entry_t){.order_id = r->id, .px = r->px, .qty = qty, .action = (uint8_t)action, .side = r->side};
}

/* ---- the book --------------------------------------------------------------------------------------------------- */

/* The order is in the book; the book's ids are our rows + 1. */
static void rest_begin(const turn_t *t, uint32_t i, uint32_t clob_row)
{
    row_t      *r = row_at(t->m, i);
    clob_rest_t rest;
    clob_at(clob_of(t->m), clob_row, &rest);
    assert(rest.id == i + 1ULL && rest.leaves_qty == leaves_of(r));
    r->visible_qty = rest.visible_qty;
    owner_at(t->m, r->owner)->rest_qty[is_sell(r)] += leaves_of(r);
    row_stand(t->m, i, MATCHER_RESTING);
    entry_add(t, r, MBO_ADD, r->visible_qty);
}

/* Less of a resting order, without losing its place; what the feed sees of it is the caller's word for it. */
static void rest_shrink(const turn_t *t, uint32_t i, int64_t qty, mbo_action_t action)
{
    row_t               *r      = row_at(t->m, i);
    const clob_replace_t change = {.id = i + 1ULL, .px = r->px, .leaves_qty = leaves_of(r) - qty};
    clob_out_t           out    = {.events = NULL};
    const err_t          err    = clob_replace(clob_of(t->m), &change, &out);
    clob_rest_t          rest;
    assert(err == ERR_OK && out.resting);
    (void)err;
    clob_at(clob_of(t->m), out.row, &rest);
    owner_at(t->m, r->owner)->rest_qty[is_sell(r)] -= qty;
    const int64_t hidden_now = r->visible_qty - rest.visible_qty;
    r->visible_qty           = rest.visible_qty;
    if (hidden_now > 0) {
        entry_add(t, r, action, action == MBO_MODIFY ? r->visible_qty : hidden_now);
    }
}

/* An open order ends, wherever it stands. */
static void row_end(const turn_t *t, uint32_t i, matcher_exec_t exec, matcher_reason_t reason, venue_reject_t code)
{
    row_t *r = row_at(t->m, i);
    if (r->stand == MATCHER_RESTING) {
        int64_t     leaves = 0;
        const err_t err    = clob_cancel(clob_of(t->m), i + 1ULL, &leaves);
        assert(err == ERR_OK && leaves == leaves_of(r));
        (void)err;
        owner_at(t->m, r->owner)->rest_qty[is_sell(r)] -= leaves;
        entry_add(t, r, MBO_CANCEL, r->visible_qty);
    }
    report_end(t, r, exec, reason, code);
    row_free(t->m, i);
}

/* ---- positions -------------------------------------------------------------------------------------------------- */

/* How much of its position orders of this side would close. */
static int64_t closable(const owner_t *owner, unsigned sell)
{
    return sell ? max_i64(owner->position, 0) : max_i64(-owner->position, 0);
}

/* No position goes beyond its limit, even when everything that is open on one side trades. */
static bool position_fits(const matcher_t *m, const row_t *r, int64_t more_qty)
{
    const owner_t *owner = owner_at(m, r->owner);
    const int64_t  from  = is_sell(r) ? -owner->position : owner->position;
    return r->owner == 0 || (i128_t)from + owner->rest_qty[is_sell(r)] + more_qty <= MATCHER_POS_MAX;
}

static void position_add(matcher_t *m, const row_t *r, int64_t qty)
{
    if (r->owner != 0) {
        owner_at(m, r->owner)->position += is_sell(r) ? -qty : qty;
    }
}

static int64_t lot_floor(const matcher_t *m, int64_t qty)
{
    return qty - qty % m->ins.def.lot;
}

/* How much of qty a reduce-only order may bring in. */
static int64_t reducible(const matcher_t *m, const row_t *r, int64_t qty)
{
    return is_reduce_only(r) ? min_i64(qty, lot_floor(m, closable(owner_at(m, r->owner), is_sell(r)))) : qty;
}

/* The newest reduce-only orders of the side are cut until all that rests there is no more than the position. */
static void cut_side(const turn_t *t, const owner_t *owner, unsigned sell)
{
    const matcher_t *m = t->m;
    for (uint32_t i = owner->tail, prev; i != NIL; i = prev) {
        row_t        *r      = row_at(m, i);
        const int64_t excess = owner->rest_qty[sell] - closable(owner, sell);
        prev                 = r->prev;
        if (excess <= 0) {
            return;
        }
        if (r->stand != MATCHER_RESTING || is_sell(r) != sell || !is_reduce_only(r)) {
            continue;
        }
        const int64_t keep = lot_floor(m, max_i64(leaves_of(r) - excess, 0));
        if (keep == 0) {
            row_end(t, i, MATCHER_CANCELED, MATCHER_REASON_REDUCE_ONLY, VENUE_REJECT_NONE);
        } else {
            const int64_t cut = leaves_of(r) - keep;
            rest_shrink(t, i, cut, MBO_CANCEL);
            restate(t, r, cut, MATCHER_REASON_REDUCE_ONLY);
        }
    }
}

static void cut_owner(const turn_t *t, uint32_t owner)
{
    if (owner_at(t->m, owner)->reduce_count > 0) {
        cut_side(t, owner_at(t->m, owner), 0);
        cut_side(t, owner_at(t->m, owner), 1);
    }
}

/* ---- stops ------------------------------------------------------------------------------------------------------ */

static bool is_through(const row_t *r, int64_t px)
{
    return is_sell(r) ? px <= r->stop_px : px >= r->stop_px;
}

/* Into the heaps, or straight into the queue. fresh: a trailing stop without a stop price of its own. */
static void stop_wait(matcher_t *m, uint32_t i, bool fresh)
{
    row_t *r = row_at(m, i);
    if (is_trailing(r->ord_type) && m->has_last) {
        const int64_t from_last = is_sell(r) ? m->last_px - r->trail : m->last_px + r->trail;
        const bool    nearer    = is_sell(r) ? from_last > r->stop_px : from_last < r->stop_px;
        r->stop_px              = fresh || nearer ? from_last : r->stop_px;
    }
    row_stand(m, i, MATCHER_WAITING);
    if (m->has_last && is_through(r, m->last_px)) {
        queue_append(m, i);
        return;
    }
    heap_add(m, is_sell(r) ? HEAP_STOP_SELL : HEAP_STOP_BUY, i);
    if (is_trailing(r->ord_type)) {
        heap_add(m, is_sell(r) ? HEAP_TRAIL_SELL : HEAP_TRAIL_BUY, i);
    }
}

/* The trailing stops of a side whose water mark px passes follow it. */
static void stop_follow(matcher_t *m, unsigned sell, int64_t px)
{
    const heap_t trails = sell ? HEAP_TRAIL_SELL : HEAP_TRAIL_BUY;
    const heap_t stops  = sell ? HEAP_STOP_SELL : HEAP_STOP_BUY;
    while (m->heap_count[trails] > 0) {
        const uint32_t i = heap_rows(m, trails)[0];
        row_t         *r = row_at(m, i);
        if (heap_key(trails, r) >= (sell ? px : -px)) {
            return;
        }
        r->stop_px = sell ? px - r->trail : px + r->trail;
        heap_settle(m, trails, r->at[SLOT_TRAIL], i);
        heap_settle(m, stops, r->at[SLOT_STOP], i);
    }
}

/* A new last price. */
static void stop_look(matcher_t *m, int64_t px)
{
    m->last_px  = px;
    m->has_last = 1;
    for (unsigned sell = 0; sell < 2; sell++) {
        const heap_t stops = sell ? HEAP_STOP_SELL : HEAP_STOP_BUY;
        while (m->heap_count[stops] > 0 && is_through(row_at(m, heap_rows(m, stops)[0]), px)) {
            const uint32_t i = heap_rows(m, stops)[0];
            stop_drop(m, i);
            queue_append(m, i);
        }
        stop_follow(m, sell, px);
    }
}

/* ---- an order meets the book ------------------------------------------------------------------------------------ */

static void settle_fill(const turn_t *t, row_t *taker, row_t *maker, const clob_event_t *event)
{
    matcher_t     *m   = t->m;
    matcher_out_t *out = t->out;
    m->match_id++;
    for (unsigned side = 0; side < 2; side++) {
        row_t *r = side == 0 ? maker : taker;
        r->cum_qty += event->qty;
        position_add(m, r, event->qty);
        matcher_report_t *report = report_add(t, r, MATCHER_TRADE);
        report->match_id         = m->match_id;
        report->last_px          = event->px;
        report->last_qty         = event->qty;
        report->liquidity        = side == 0 ? LIQUIDITY_MAKER : LIQUIDITY_TAKER;
    }
    maker->visible_qty -= event->qty;
    entry_add(t, maker, MBO_FILL, event->qty);
    assert(out->trade_count < out->trade_cap);
    out->trades[out->trade_count++] = (trade_t){.instrument_id  = m->ins.def.instrument_id,
                                                .aggressor_side = taker->side,
                                                .trade_id       = m->match_id,
                                                .px             = event->px,
                                                .qty            = event->qty,
                                                .ts_event_ns    = t->ts_ns};
}

/* Both lose qty; whoever has nothing left is CANCELED. The taker's rest is 0 afterwards when it is. */
static bool settle_decrement(const turn_t *t, row_t *taker, row_t *maker, int64_t qty)
{
    const int64_t hidden = leaves_of(maker) - maker->visible_qty;
    const int64_t shown  = max_i64(qty - hidden, 0);
    if (shown > 0) {
        maker->visible_qty -= shown;
        entry_add(t, maker, MBO_CANCEL, shown);
    }
    bool ended = false;
    for (unsigned side = 0; side < 2; side++) {
        row_t *r = side == 0 ? maker : taker;
        if (qty < leaves_of(r)) {
            restate(t, r, qty, MATCHER_REASON_STP);
        } else {
            report_end(t, r, MATCHER_CANCELED, MATCHER_REASON_STP, VENUE_REJECT_NONE);
            ended = side == 1;
        }
    }
    return ended;
}

/* What clob_submit or clob_replace did with order i becomes reports, feed, positions; the order rests, or is gone. */
static void settle(const turn_t *t, uint32_t i, const clob_out_t *done)
{
    matcher_t     *m        = t->m;
    row_t         *taker    = row_at(m, i);
    const uint32_t owner    = taker->owner;
    bool           ended    = false;
    int64_t        first_px = 0;
    int64_t        last_px  = 0;
    bool           traded   = false;
    for (uint32_t n = 0; n < done->count; n++) {
        const clob_event_t *event = &done->events[n];
        const uint32_t      mi    = (uint32_t)(event->maker_id - 1);
        row_t              *maker = row_at(m, mi);
        if (event->kind == CLOB_REPLENISH) {
            maker->visible_qty = event->qty;
            entry_add(t, maker, MBO_ADD, event->qty);
            continue;
        }
        owner_at(m, maker->owner)->rest_qty[is_sell(maker)] -= event->qty;
        if (event->kind == CLOB_FILL) {
            settle_fill(t, taker, maker, event);
            first_px = traded ? first_px : event->px;
            last_px  = event->px;
            traded   = true;
        } else if (event->kind == CLOB_STP_CANCEL) {
            entry_add(t, maker, MBO_CANCEL, maker->visible_qty);
            report_end(t, maker, MATCHER_CANCELED, MATCHER_REASON_STP, VENUE_REJECT_NONE);
        } else {
            ended = settle_decrement(t, taker, maker, event->qty);
        }
        if (event->maker_leaves_qty == 0) {
            row_free(m, mi);
        } else {
            assert(event->maker_leaves_qty == leaves_of(maker));
        }
    }
    assert(ended || done->leaves_qty == leaves_of(taker));
    if (done->resting) {
        rest_begin(t, i, done->row);
    } else {
        if (!ended && done->leaves_qty > 0) {
            report_end(t, taker, MATCHER_CANCELED,
                       done->stopped           ? MATCHER_REASON_STP
                       : taker->tif == TIF_FOK ? MATCHER_REASON_FOK
                                               : MATCHER_REASON_IMMEDIATE,
                       VENUE_REJECT_NONE);
        }
        row_free(m, i);
    }
    if (traded) {
        stop_look(m, first_px);
        stop_look(m, last_px);
    }
    cut_owner(t, owner);
}

/* The book's answer in the words of a venue. */
static venue_reject_t refusal(err_t err)
{
    assert(err == ERR_OK || err == ERR_CROSSED || err == ERR_FULL); /* the door has seen to the rest */
    return err == ERR_OK ? VENUE_REJECT_NONE : err == ERR_CROSSED ? VENUE_REJECT_POST_ONLY : VENUE_REJECT_FILLS;
}

static clob_out_t events_of(const matcher_t *m)
{
    return (clob_out_t){.events = part(m, m->events_at), .cap = m->cfg.fills_max};
}

/* A new order, or a stop that triggered, enters with what it may bring; `as` is the report it begins with. */
static void enter(const turn_t *t, uint32_t i, matcher_exec_t as, venue_reject_t code)
{
    matcher_t    *m     = t->m;
    row_t        *r     = row_at(m, i);
    const int64_t qty   = reducible(m, r, leaves_of(r));
    const bool    limit = is_limit(r->ord_type);
    clob_out_t    done  = events_of(m);
    if (code == VENUE_REJECT_NONE && qty == 0) {
        code = VENUE_REJECT_REDUCE_ONLY;
    }
    if (code == VENUE_REJECT_NONE && !position_fits(m, r, qty)) {
        code = VENUE_REJECT_LIMIT;
    }
    if (code == VENUE_REJECT_NONE) {
        const clob_order_t order = {.id          = i + 1ULL,
                                    .px          = r->px,
                                    .qty         = qty,
                                    .display_qty = r->display_qty,
                                    .owner       = r->owner,
                                    .side        = r->side,
                                    .ord_type    = limit ? ORD_TYPE_LIMIT : ORD_TYPE_MARKET,
                                    .tif         = r->tif == TIF_GTD ? TIF_GTC : r->tif,
                                    .stp         = r->stp,
                                    .post_only   = (r->exec_inst & EXEC_INST_POST_ONLY) != 0,
                                    .capped      = !limit && r->px != 0};
        code                     = refusal(clob_submit(clob_of(m), &order, &done));
    }
    if (code != VENUE_REJECT_NONE && as == MATCHER_NEW) {
        report_reject(t, r, code);
        row_free(m, i);
        return;
    }
    report_add(t, r, as);
    if (code != VENUE_REJECT_NONE) {
        const bool flat = code == VENUE_REJECT_REDUCE_ONLY;
        row_end(t, i, MATCHER_CANCELED, flat ? MATCHER_REASON_REDUCE_ONLY : MATCHER_REASON_REFUSED,
                flat ? VENUE_REJECT_NONE : code);
        return;
    }
    if (qty < leaves_of(r)) {
        restate(t, r, leaves_of(r) - qty, MATCHER_REASON_REDUCE_ONLY);
    }
    settle(t, i, &done);
}

/* ---- the door --------------------------------------------------------------------------------------------------- */

static bool px_fits(int64_t px)
{
    return px > -CLOB_PX_MAX && px < CLOB_PX_MAX;
}

static venue_reject_t check_px(const instrument_t *ins, int64_t px)
{
    const instrument_def_t *def    = &ins->def;
    const bool              banded = def->band_lower != 0 || def->band_upper != 0;
    if (!px_fits(px) || (px <= 0 && !def->allow_negative) ||
        (banded && (px < def->band_lower || px > def->band_upper))) {
        return VENUE_REJECT_PX_BAND;
    }
    return instrument_on_tick(ins, px) ? VENUE_REJECT_NONE : VENUE_REJECT_PX_TICK;
}

static venue_reject_t check_notional(const instrument_t *ins, int64_t px, int64_t qty)
{
    int64_t notional;
    return instrument_notional(ins, px, qty, &notional) && notional >= ins->def.min_notional ? VENUE_REJECT_NONE
                                                                                             : VENUE_REJECT_NOTIONAL;
}

static venue_reject_t check_limit(const instrument_t *ins, int64_t px, int64_t qty)
{
    const venue_reject_t code = check_px(ins, px);
    return code == VENUE_REJECT_NONE ? check_notional(ins, px, qty) : code;
}

static venue_reject_t check_qty(const instrument_def_t *def, int64_t qty)
{
    const bool fits = qty > 0 && qty >= def->min_qty && qty % def->lot == 0 && qty <= CLOB_QTY_MAX;
    return fits ? VENUE_REJECT_NONE : VENUE_REJECT_QTY;
}

/* A collar may lie anywhere: off the tick, outside of the band. */
static venue_reject_t check_collar(const instrument_t *ins, int64_t px, int64_t qty)
{
    if (px == 0) {
        return VENUE_REJECT_NONE;
    }
    if (!px_fits(px) || (px < 0 && !ins->def.allow_negative)) {
        return VENUE_REJECT_PX_BAND;
    }
    return check_notional(ins, px, qty);
}

/* The price, by what the order still is: a stop that waits, or what meets the book now. */
static venue_reject_t check_price(const instrument_t *ins, const row_t *r, bool waits)
{
    if (waits && r->ord_type == ORD_TYPE_TRAILING_STOP_LIMIT) {
        return r->px >= 0 && px_fits(r->px) ? VENUE_REJECT_NONE : VENUE_REJECT_PX_BAND;
    }
    return is_limit(r->ord_type) ? check_limit(ins, r->px, r->qty) : check_collar(ins, r->px, r->qty);
}

static venue_reject_t check_stop(const matcher_t *m, const row_t *r)
{
    if (!is_trailing(r->ord_type)) {
        return check_px(&m->ins, r->stop_px);
    }
    if (r->trail <= 0 || !px_fits(r->trail)) {
        return VENUE_REJECT_PX_BAND;
    }
    if (r->stop_px == 0) {
        return m->has_last ? VENUE_REJECT_NONE : VENUE_REJECT_NO_LAST;
    }
    return check_px(&m->ins, r->stop_px);
}

/* Enums and combinations. */
static venue_reject_t check_terms(const matcher_order_t *o)
{
    const bool limit     = is_limit(o->ord_type);
    const bool stop      = is_stop(o->ord_type);
    const bool immediate = o->tif == TIF_IOC || o->tif == TIF_FOK;
    const bool post_only = (o->exec_inst & EXEC_INST_POST_ONLY) != 0;
    const bool known     = (o->side == SIDE_BUY || o->side == SIDE_SELL) &&
                       (limit || stop || o->ord_type == ORD_TYPE_MARKET) &&
                       (immediate || o->tif == TIF_DAY || o->tif == TIF_GTC || o->tif == TIF_GTD) &&
                       (o->exec_inst & ~(EXEC_INST_POST_ONLY | EXEC_INST_REDUCE_ONLY)) == 0 && o->stp <= STP_DECREMENT;
    if (!known || ((post_only || o->display_qty != 0) && (!limit || immediate))) {
        return VENUE_REJECT_UNSUPPORTED;
    }
    const bool idle = (stop || o->stop_px == 0) && (is_trailing(o->ord_type) || o->trail == 0) &&
                      (o->tif == TIF_GTD || o->expire_ns == 0) && (limit || !stop || o->px == 0);
    return idle ? VENUE_REJECT_NONE : VENUE_REJECT_UNSUPPORTED;
}

static venue_reject_t check_owner(const matcher_t *m, const matcher_order_t *o)
{
    const bool reduce_only = (o->exec_inst & EXEC_INST_REDUCE_ONLY) != 0;
    if (o->owner > m->cfg.owners_max || (reduce_only && o->owner == 0)) {
        return VENUE_REJECT_ACCOUNT;
    }
    const bool room = !reduce_only || owner_at(m, o->owner)->reduce_count < MATCHER_REDUCE_ONLY_MAX;
    return room && m->open_count < m->cfg.orders_max ? VENUE_REJECT_NONE : VENUE_REJECT_OVERLOAD;
}

static venue_reject_t check_new(const matcher_t *m, const matcher_order_t *o, int64_t ts_ns)
{
    if (m->phase != MATCHER_OPEN) {
        return VENUE_REJECT_CLOSED;
    }
    venue_reject_t code = check_terms(o);
    if (code == VENUE_REJECT_NONE && (o->id == 0 || row_find(m, o->id) != ID_MAP_NONE)) {
        code = VENUE_REJECT_DUPLICATE;
    }
    if (code == VENUE_REJECT_NONE) {
        code = check_qty(&m->ins.def, o->qty);
    }
    if (code == VENUE_REJECT_NONE && (o->display_qty < 0 || o->display_qty % m->ins.def.lot != 0)) {
        code = VENUE_REJECT_QTY;
    }
    if (code == VENUE_REJECT_NONE && o->tif == TIF_GTD && (o->expire_ns <= ts_ns || o->expire_ns == FOREVER)) {
        code = VENUE_REJECT_TOO_LATE;
    }
    if (code == VENUE_REJECT_NONE) {
        const row_t r = row_of(o);
        code          = check_price(&m->ins, &r, is_stop(o->ord_type));
        if (code == VENUE_REJECT_NONE && is_stop(o->ord_type)) {
            code = check_stop(m, &r);
        }
    }
    return code == VENUE_REJECT_NONE ? check_owner(m, o) : code;
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

matcher_room_t matcher_room(const matcher_t *matcher)
{
    const uint32_t fills = matcher->cfg.fills_max;
    return (matcher_room_t){.reports = 2 * fills + SPARE, .entries = fills + SPARE, .trades = fills};
}

static bool has_room(const matcher_t *m, const matcher_out_t *out)
{
    const matcher_room_t room = matcher_room(m);
    return out->report_cap - out->report_count >= room.reports && out->entry_cap - out->entry_count >= room.entries &&
           out->trade_cap - out->trade_count >= room.trades;
}

static bool is_busy(const matcher_t *m)
{
    return m->phase == MATCHER_OPEN && m->queue_head != NIL;
}

/* Nobody trades when an order should be gone already. */
static err_t check_due(const turn_t *t)
{
    const int64_t due_ns = matcher_due_ns(t->m);
    return due_ns > t->ts_ns
               ? ERR_OK
               : err_set(ERR_STATE, "matcher: an order expires at %lld, limit later than this call at %lld",
                         (long long)due_ns, (long long)t->ts_ns);
}

/* Before a request: nothing else has to come first, and there is room. */
static err_t begin(const turn_t *t)
{
    if (is_busy(t->m)) {
        return err_set(ERR_STATE, "matcher: triggered orders wait for room, limit none before another request");
    }
    const err_t err = check_due(t);
    return err == ERR_OK && !has_room(t->m, t->out) ? ERR_FULL : err;
}

/* A stop that triggered: what was worse by a distance gets its price now. */
static void enter_stop(const turn_t *t, uint32_t i)
{
    matcher_t     *m    = t->m;
    row_t         *r    = row_at(m, i);
    venue_reject_t code = VENUE_REJECT_NONE;
    queue_remove(m, r);
    r->stand = 0;
    row_renew(m, i);
    if (r->ord_type == ORD_TYPE_TRAILING_STOP_LIMIT) {
        const i128_t px = is_sell(r) ? (i128_t)r->stop_px - r->px : (i128_t)r->stop_px + r->px;
        if (px <= -CLOB_PX_MAX || px >= CLOB_PX_MAX) {
            code = VENUE_REJECT_PX_BAND;
        } else {
            r->px =
                is_sell(r) ? instrument_round_up(&m->ins, (int64_t)px) : instrument_round_down(&m->ins, (int64_t)px);
            code = check_limit(&m->ins, r->px, r->qty);
        }
    }
    enter(t, i, MATCHER_TRIGGERED, code);
}

static err_t work_off(const turn_t *t)
{
    while (is_busy(t->m)) {
        if (!has_room(t->m, t->out)) {
            return ERR_AGAIN;
        }
        enter_stop(t, t->m->queue_head);
    }
    return ERR_OK;
}

err_t matcher_run(matcher_t *matcher, int64_t ts_ns, matcher_out_t *out)
{
    const turn_t t   = {.m = matcher, .out = out, .ts_ns = ts_ns};
    const err_t  err = check_due(&t);
    if (err != ERR_OK) {
        return err;
    }
    return is_busy(matcher) && !has_room(matcher, out) ? ERR_FULL : work_off(&t);
}

err_t matcher_submit(matcher_t *matcher, const matcher_order_t *order, int64_t ts_ns, matcher_out_t *out)
{
    const turn_t t   = {.m = matcher, .out = out, .ts_ns = ts_ns};
    const err_t  err = begin(&t);
    if (err != ERR_OK) {
        return err;
    }
    const venue_reject_t code = check_new(matcher, order, ts_ns);
    if (code != VENUE_REJECT_NONE) {
        const row_t r = row_of(order);
        report_reject(&t, &r, code);
        return ERR_OK;
    }
    const uint32_t i = row_take(matcher, order);
    if (is_stop(order->ord_type)) {
        stop_wait(matcher, i, order->stop_px == 0);
        report_add(&t, row_at(matcher, i), MATCHER_NEW);
    } else {
        enter(&t, i, MATCHER_NEW, VENUE_REJECT_NONE);
    }
    return work_off(&t);
}

/* The new terms of a resting order, of which qty is let in. */
static void report_replaced(const turn_t *t, row_t *r, const row_t *terms, int64_t qty)
{
    r->px  = terms->px;
    r->qty = terms->qty;
    report_add(t, r, MATCHER_REPLACED);
    if (qty < leaves_of(r)) {
        restate(t, r, leaves_of(r) - qty, MATCHER_REASON_REDUCE_ONLY);
    }
}

/* New terms of a resting order that lose it its place. */
static venue_reject_t replace_resting(const turn_t *t, uint32_t i, const row_t *terms, int64_t qty)
{
    matcher_t     *m      = t->m;
    row_t         *r      = row_at(m, i);
    const int64_t  was    = leaves_of(r);
    clob_replace_t change = {.id         = i + 1ULL,
                             .px         = terms->px,
                             .leaves_qty = qty,
                             .stp        = r->stp,
                             .post_only  = (r->exec_inst & EXEC_INST_POST_ONLY) != 0};
    clob_out_t     done   = events_of(m);
    assert(qty > 0); /* it rests: there is a position that it is good for */
    if (!position_fits(m, r, qty - was)) {
        return VENUE_REJECT_LIMIT;
    }
    const venue_reject_t code = refusal(clob_replace(clob_of(m), &change, &done));
    if (code != VENUE_REJECT_NONE) {
        return code;
    }
    owner_at(m, r->owner)->rest_qty[is_sell(r)] -= was;
    entry_add(t, r, MBO_CANCEL, r->visible_qty);
    r->stand = 0;
    row_renew(m, i);
    report_replaced(t, r, terms, qty);
    settle(t, i, &done);
    return VENUE_REJECT_NONE;
}

static void replace_waiting(const turn_t *t, uint32_t i, const row_t *terms, bool keeps_place, bool fresh)
{
    matcher_t *m = t->m;
    row_t     *r = row_at(m, i);
    r->qty       = terms->qty;
    if (!keeps_place) {
        assert(r->stand == MATCHER_WAITING); /* the queue is empty in OPEN */
        stop_drop(m, i);
        r->px      = terms->px;
        r->stop_px = terms->stop_px;
        r->trail   = terms->trail;
        row_renew(m, i);
        stop_wait(m, i, fresh);
    }
    report_add(t, r, MATCHER_REPLACED);
}

/* The door of a replace: terms is the order as it would be; follows: its stop price is not named anew. */
static venue_reject_t check_replace(const matcher_t *m, const row_t *terms, bool follows)
{
    const bool     waits = terms->stand != MATCHER_RESTING;
    venue_reject_t code  = check_qty(&m->ins.def, terms->qty);
    if (code == VENUE_REJECT_NONE && terms->qty <= terms->cum_qty) {
        code = VENUE_REJECT_QTY;
    }
    const bool idle =
        (is_trailing(terms->ord_type) || terms->trail == 0) && (is_limit(terms->ord_type) || terms->px == 0);
    if (code == VENUE_REJECT_NONE && waits && !idle) {
        code = VENUE_REJECT_UNSUPPORTED;
    }
    if (code == VENUE_REJECT_NONE) {
        code = check_price(&m->ins, terms, waits);
    }
    if (code == VENUE_REJECT_NONE && waits && !follows) {
        code = check_stop(m, terms);
    }
    return code;
}

static venue_reject_t replace(const turn_t *t, const matcher_change_t *change)
{
    const matcher_t *m = t->m;
    const uint32_t   i = row_find(m, change->id);
    if (i == ID_MAP_NONE) {
        return VENUE_REJECT_UNKNOWN_ORDER;
    }
    row_t     *r     = row_at(m, i);
    const bool waits = r->stand != MATCHER_RESTING;
    /* a trailing stop goes on following when neither its stop price nor its distance is named anew */
    const bool follows = waits && is_trailing(r->ord_type) && change->stop_px == 0 && change->trail == r->trail;
    row_t      terms   = *r;
    terms.px           = change->px;
    terms.qty          = change->qty;
    if (waits) {
        terms.stop_px = follows ? r->stop_px : change->stop_px;
        terms.trail   = change->trail;
    }
    /* what a reduce-only order may not bring in is no more quantity: it keeps the place then */
    const int64_t qty = waits ? leaves_of(&terms) : reducible(m, r, leaves_of(&terms));
    const bool    same =
        terms.px == r->px && qty <= leaves_of(r) && terms.stop_px == r->stop_px && terms.trail == r->trail;
    if (m->phase != MATCHER_OPEN && !(m->phase == MATCHER_CANCEL_ONLY && same)) {
        return VENUE_REJECT_CLOSED;
    }
    const venue_reject_t code = check_replace(m, &terms, follows);
    if (code != VENUE_REJECT_NONE) {
        return code;
    }
    if (waits) {
        replace_waiting(t, i, &terms, same, change->stop_px == 0 && !follows);
    } else if (!same) {
        return replace_resting(t, i, &terms, qty);
    } else {
        rest_shrink(t, i, leaves_of(r) - qty, MBO_MODIFY);
        report_replaced(t, r, &terms, qty);
    }
    return VENUE_REJECT_NONE;
}

/* The refusal of a request about an order, which goes on when it is open. */
static void report_refusal(const turn_t *t, matcher_exec_t exec, uint64_t id, venue_reject_t code)
{
    const uint32_t i                                                      = row_find(t->m, id);
    const row_t    none                                                   = {.id = id};
    report_add(t, i == ID_MAP_NONE ? &none : row_at(t->m, i), exec)->code = (uint16_t)code;
}

err_t matcher_replace(matcher_t *matcher, const matcher_change_t *change, int64_t ts_ns, matcher_out_t *out)
{
    const turn_t t   = {.m = matcher, .out = out, .ts_ns = ts_ns};
    const err_t  err = begin(&t);
    if (err != ERR_OK) {
        return err;
    }
    const venue_reject_t code = replace(&t, change);
    if (code != VENUE_REJECT_NONE) {
        report_refusal(&t, MATCHER_REPLACE_REJECT, change->id, code);
    }
    return work_off(&t);
}

static bool has_room_for_end(const matcher_out_t *out)
{
    return out->report_cap > out->report_count && out->entry_cap > out->entry_count;
}

err_t matcher_cancel(matcher_t *matcher, uint64_t id, int64_t ts_ns, matcher_out_t *out)
{
    const turn_t t = {.m = matcher, .out = out, .ts_ns = ts_ns};
    if (!has_room_for_end(out)) {
        return ERR_FULL;
    }
    const uint32_t i = row_find(matcher, id);
    if (i == ID_MAP_NONE || matcher->phase == MATCHER_CLOSED) {
        report_refusal(&t, MATCHER_CANCEL_REJECT, id,
                       i == ID_MAP_NONE ? VENUE_REJECT_UNKNOWN_ORDER : VENUE_REJECT_CLOSED);
    } else {
        row_end(&t, i, MATCHER_CANCELED, MATCHER_REASON_REQUEST, VENUE_REJECT_NONE);
    }
    return ERR_OK;
}

err_t matcher_cancel_owner(matcher_t *matcher, uint32_t owner, int64_t ts_ns, matcher_out_t *out)
{
    const turn_t t = {.m = matcher, .out = out, .ts_ns = ts_ns};
    if (owner > matcher->cfg.owners_max) {
        return err_set(ERR_ARG, "matcher: owner %u, limit %u", owner, matcher->cfg.owners_max);
    }
    if (matcher->phase == MATCHER_CLOSED) {
        return err_set(ERR_STATE, "matcher: cancel of owner %u in phase CLOSED, limit the phases before", owner);
    }
    for (err_t full = ERR_FULL; owner_at(matcher, owner)->head != NIL; full = ERR_AGAIN) {
        if (!has_room_for_end(out)) {
            return full;
        }
        row_end(&t, owner_at(matcher, owner)->head, MATCHER_CANCELED, MATCHER_REASON_MASS, VENUE_REJECT_NONE);
    }
    return ERR_OK;
}

/* Orders of a heap of terms end, up to until_ns. */
static err_t expire(const turn_t *t, heap_t heap, int64_t until_ns)
{
    matcher_t *m    = t->m;
    err_t      full = ERR_FULL;
    while (m->heap_count[heap] > 0) {
        const uint32_t i = heap_rows(m, heap)[0];
        if (row_at(m, i)->expire_ns > until_ns) {
            break;
        }
        if (!has_room_for_end(t->out)) {
            return full;
        }
        row_end(t, i, MATCHER_EXPIRED, heap == HEAP_DAY ? MATCHER_REASON_DAY : MATCHER_REASON_GTD, VENUE_REJECT_NONE);
        full = ERR_AGAIN;
    }
    return ERR_OK;
}

err_t matcher_expire(matcher_t *matcher, int64_t ts_ns, matcher_out_t *out)
{
    const turn_t t = {.m = matcher, .out = out, .ts_ns = ts_ns};
    return expire(&t, HEAP_GTD, ts_ns);
}

int64_t matcher_due_ns(const matcher_t *matcher)
{
    return matcher->heap_count[HEAP_GTD] == 0 ? FOREVER : row_at(matcher, heap_rows(matcher, HEAP_GTD)[0])->expire_ns;
}

err_t matcher_enter(matcher_t *matcher, matcher_phase_t phase, int64_t ts_ns, matcher_out_t *out)
{
    const turn_t t = {.m = matcher, .out = out, .ts_ns = ts_ns};
    if (phase < MATCHER_OPEN || phase > MATCHER_CLOSED) {
        return err_set(ERR_ARG, "matcher: phase %u, limit %u..%u", phase, MATCHER_OPEN, MATCHER_CLOSED);
    }
    const err_t err = begin(&t);
    if (err != ERR_OK) {
        return err;
    }
    matcher->phase = phase;
    return phase == MATCHER_CLOSED ? expire(&t, HEAP_DAY, FOREVER) : work_off(&t);
}

err_t matcher_print(matcher_t *matcher, int64_t px, int64_t ts_ns, matcher_out_t *out)
{
    const turn_t t = {.m = matcher, .out = out, .ts_ns = ts_ns};
    if (!px_fits(px)) {
        return err_set(ERR_RANGE, "matcher: last price %lld, limit within +-%lld", (long long)px, CLOB_PX_MAX);
    }
    const err_t err = begin(&t);
    if (err != ERR_OK) {
        return err;
    }
    stop_look(matcher, px);
    return work_off(&t);
}

err_t matcher_set_position(matcher_t *matcher, uint32_t owner, int64_t qty, int64_t ts_ns, matcher_out_t *out)
{
    const turn_t t = {.m = matcher, .out = out, .ts_ns = ts_ns};
    if (owner == 0 || owner > matcher->cfg.owners_max) {
        return err_set(ERR_ARG, "matcher: owner %u, limit 1..%u", owner, matcher->cfg.owners_max);
    }
    owner_t *of = owner_at(matcher, owner);
    if ((i128_t)qty + of->rest_qty[0] > MATCHER_POS_MAX || (i128_t)of->rest_qty[1] - qty > MATCHER_POS_MAX) {
        return err_set(ERR_RANGE, "matcher: position %lld of owner %u, limit +-%lld with all that it has in the book",
                       (long long)qty, owner, MATCHER_POS_MAX);
    }
    const err_t err = begin(&t);
    if (err != ERR_OK) {
        return err;
    }
    of->position = qty;
    cut_owner(&t, owner);
    return ERR_OK;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

bool matcher_find(const matcher_t *matcher, uint64_t id, matcher_rest_t *out)
{
    const uint32_t i = row_find(matcher, id);
    if (i == ID_MAP_NONE) {
        return false;
    }
    const row_t *r = row_at(matcher, i);
    *out           = (matcher_rest_t){.id          = r->id,
                                      .px          = r->px,
                                      .stop_px     = r->stop_px,
                                      .order_qty   = r->qty,
                                      .cum_qty     = r->cum_qty,
                                      .visible_qty = r->visible_qty,
                                      .owner       = r->owner,
                                      .side        = (side_t)r->side,
                                      .stand       = (matcher_stand_t)r->stand};
    return true;
}

int64_t matcher_position(const matcher_t *matcher, uint32_t owner)
{
    return owner > matcher->cfg.owners_max ? 0 : owner_at(matcher, owner)->position;
}

bool matcher_last(const matcher_t *matcher, int64_t *px)
{
    *px = matcher->last_px;
    return matcher->has_last == 1;
}

matcher_phase_t matcher_phase(const matcher_t *matcher)
{
    return (matcher_phase_t)matcher->phase;
}

uint32_t matcher_open(const matcher_t *matcher)
{
    return matcher->open_count;
}

const clob_t *matcher_book(const matcher_t *matcher)
{
    return clob_of(matcher);
}

err_t matcher_picture(const matcher_t *matcher, mbo_entry_t *entries, uint32_t cap, uint32_t *count)
{
    const clob_t *clob = clob_of(matcher);
    *count             = 0;
    if (clob_count(clob, SIDE_BUY) + clob_count(clob, SIDE_SELL) > cap) {
        return ERR_FULL;
    }
    for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
        for (uint32_t at = clob_first(clob, side); at != CLOB_NONE; at = clob_next(clob, at)) {
            clob_rest_t rest;
            clob_at(clob, at, &rest);
            const row_t *r      = row_at(matcher, (uint32_t)(rest.id - 1));
            entries[(*count)++] = (mbo_entry_t){
                .order_id = r->id, .px = rest.px, .qty = rest.visible_qty, .action = MBO_ADD, .side = r->side};
        }
    }
    return ERR_OK;
}

_Static_assert(sizeof(row_t) == 120 && sizeof(owner_t) == 40,
               "no padding that a compiler chooses: bytes are a snapshot");
_Static_assert(MATCHER_REDUCE_ONLY_MAX + 6 <= SPARE, "the cuts of an owner have room");
_Static_assert(sizeof(matcher_report_t) == 96, "no padding that a compiler chooses");
