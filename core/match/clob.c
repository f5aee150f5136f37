#include "core/match/clob.h"

#include <assert.h>
#include <string.h>

#include "core/match/id_map.h"
#include "core/types/num.h"

#define NIL UINT32_MAX

typedef struct clob_level {
    uint32_t head; /* oldest */
    uint32_t tail;
    uint32_t count;
    uint32_t reserved;
    int64_t  qty; /* sum over the queue */
} clob_level_t;

typedef struct clob_node { /* a resting order; a free row has only next */
    uint64_t id;
    int64_t  qty; /* open, > 0 */
    uint32_t next;
    uint32_t prev;
    uint32_t place; /* level * 2 + (1 for an ask) */
    uint32_t ref;
} clob_node_t;

struct clob { /* then: levels, nodes, id slots, words of the bids' bitmap, of the asks' */
    clob_cfg_t cfg;
    uint32_t   slot_count;
    uint32_t   free_head;
    uint32_t   count[2]; /* resting bids, asks */
    uint32_t words0; /* of one side: tier 0 has a bit per level, tier 1 a bit per word of tier 0, tier 2 is one word */
    uint32_t words1;
};

static uint32_t words_for(uint32_t bits)
{
    return (bits + 63) / 64;
}

static clob_level_t *clob_levels_at(const clob_t *clob)
{
    return (clob_level_t *)((uintptr_t)clob + sizeof *clob);
}
static clob_node_t *clob_nodes(const clob_t *clob)
{
    return (clob_node_t *)(clob_levels_at(clob) + clob->cfg.level_count);
}
static id_slot_t *clob_slots(const clob_t *clob)
{
    return (id_slot_t *)(clob_nodes(clob) + clob->cfg.orders_max);
}
static uint64_t *clob_bits(const clob_t *clob, unsigned ask)
{
    return (uint64_t *)(clob_slots(clob) + clob->slot_count) + (size_t)ask * (1 + clob->words1 + clob->words0);
}

/* ---- bitmap: [0] tier 2, [1 ..] tier 1, [1 + words1 ..] tier 0 -------------------------------------------------- */

static void bits_set(const clob_t *clob, unsigned ask, uint32_t i)
{
    uint64_t *bits = clob_bits(clob, ask);
    bits[0] |= 1ULL << (i >> 12);
    bits[1 + (i >> 12)] |= 1ULL << (i >> 6 & 63);
    bits[1 + clob->words1 + (i >> 6)] |= 1ULL << (i & 63);
}

static void bits_clear(const clob_t *clob, unsigned ask, uint32_t i)
{
    uint64_t *bits  = clob_bits(clob, ask);
    uint64_t *word0 = &bits[1 + clob->words1 + (i >> 6)];
    uint64_t *word1 = &bits[1 + (i >> 12)];
    *word0 &= ~(1ULL << (i & 63));
    if (*word0 == 0) {
        *word1 &= ~(1ULL << (i >> 6 & 63));
        if (*word1 == 0) {
            bits[0] &= ~(1ULL << (i >> 12));
        }
    }
}

static uint32_t low_bit(uint64_t word)
{
    return (uint32_t)__builtin_ctzll(word);
}
static uint32_t high_bit(uint64_t word)
{
    return 63 - (uint32_t)__builtin_clzll(word);
}

/* The lowest level set at i or above, NIL when there is none. */
static uint32_t bits_up(const clob_t *clob, unsigned ask, uint32_t i)
{
    const uint64_t *tier1 = clob_bits(clob, ask) + 1;
    const uint64_t *tier0 = tier1 + clob->words1;
    if (i >= clob->cfg.level_count) {
        return NIL;
    }
    uint32_t word = i >> 6;
    uint64_t rest = tier0[word] & ~0ULL << (i & 63);
    if (rest != 0) {
        return word * 64 + low_bit(rest);
    }
    uint32_t group = word >> 6;
    rest           = (word & 63) == 63 ? 0 : tier1[group] & ~0ULL << ((word & 63) + 1);
    if (rest == 0) {
        rest = group == 63 ? 0 : tier1[-1] & ~0ULL << (group + 1);
        if (rest == 0) {
            return NIL;
        }
        group = low_bit(rest);
        rest  = tier1[group];
    }
    word = group * 64 + low_bit(rest);
    return word * 64 + low_bit(tier0[word]);
}

/* The highest level set at i or below. */
static uint32_t bits_down(const clob_t *clob, unsigned ask, uint32_t i)
{
    const uint64_t *tier1 = clob_bits(clob, ask) + 1;
    const uint64_t *tier0 = tier1 + clob->words1;
    uint32_t        word  = i >> 6;
    uint64_t        rest  = tier0[word] & ~0ULL >> (63 - (i & 63));
    if (rest != 0) {
        return word * 64 + high_bit(rest);
    }
    uint32_t group = word >> 6;
    rest           = tier1[group] & ((1ULL << (word & 63)) - 1);
    if (rest == 0) {
        rest = tier1[-1] & ((1ULL << group) - 1);
        if (rest == 0) {
            return NIL;
        }
        group = high_bit(rest);
        rest  = tier1[group];
    }
    word = group * 64 + high_bit(rest);
    return word * 64 + high_bit(tier0[word]);
}

static uint32_t side_first(const clob_t *clob, unsigned ask)
{
    return ask ? bits_up(clob, 1, 0) : bits_down(clob, 0, clob->cfg.level_count - 1);
}

/* The next worse level of a side. */
static uint32_t side_next(const clob_t *clob, unsigned ask, uint32_t level)
{
    if (ask) {
        return bits_up(clob, 1, level + 1);
    }
    return level == 0 ? NIL : bits_down(clob, 0, level - 1);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

size_t clob_align(void)
{
    return _Alignof(clob_t);
}

size_t clob_footprint(const clob_cfg_t *cfg)
{
    if (cfg->level_count == 0 || cfg->level_count > CLOB_LEVELS_MAX) {
        err_set(ERR_ARG, "clob: %u price levels, limit 1..%u", cfg->level_count, CLOB_LEVELS_MAX);
        return 0;
    }
    if (cfg->orders_max == 0 || cfg->orders_max > CLOB_ORDERS_MAX) {
        err_set(ERR_ARG, "clob: %u orders, limit 1..%u", cfg->orders_max, CLOB_ORDERS_MAX);
        return 0;
    }
    const i128_t px_max = (i128_t)cfg->px_min + (i128_t)(cfg->level_count - 1) * cfg->px_step;
    if (cfg->px_step <= 0 || px_max > INT64_MAX) {
        err_set(ERR_ARG, "clob: px_step is %lld from px_min %lld, limit above 0 and all prices in int64",
                (long long)cfg->px_step, (long long)cfg->px_min);
        return 0;
    }
    const uint32_t words0 = words_for(cfg->level_count);
    return sizeof(clob_t) + cfg->level_count * sizeof(clob_level_t) + cfg->orders_max * sizeof(clob_node_t) +
           id_map_slots(cfg->orders_max) * sizeof(id_slot_t) + 2 * (1 + words_for(words0) + words0) * sizeof(uint64_t);
}

clob_t *clob_new(void *mem, const clob_cfg_t *cfg)
{
    const size_t bytes = clob_footprint(cfg);
    if (bytes == 0) {
        return NULL;
    }
    memset(mem, 0, bytes);
    clob_t *clob     = mem;
    clob->cfg        = *cfg;
    clob->slot_count = id_map_slots(cfg->orders_max);
    clob->words0     = words_for(cfg->level_count);
    clob->words1     = words_for(clob->words0);
    for (uint32_t level = 0; level < cfg->level_count; level++) {
        clob_levels_at(clob)[level] = (clob_level_t){.head = NIL, .tail = NIL};
    }
    for (uint32_t row = 0; row < cfg->orders_max; row++) {
        clob_nodes(clob)[row].next = row + 1 < cfg->orders_max ? row + 1 : NIL;
    }
    return clob;
}

/* ---- queues ----------------------------------------------------------------------------------------------------- */

static int64_t level_px(const clob_t *clob, uint32_t level)
{
    return clob->cfg.px_min + level * clob->cfg.px_step;
}

static void queue_append(clob_t *clob, uint64_t id, uint32_t ref, unsigned ask, uint32_t level, int64_t qty)
{
    const uint32_t row = clob->free_head;
    assert(row != NIL && qty > 0);
    clob_node_t  *node = &clob_nodes(clob)[row];
    clob_level_t *at   = &clob_levels_at(clob)[level];
    clob->free_head    = node->next;
    *node = (clob_node_t){.id = id, .qty = qty, .next = NIL, .prev = at->tail, .place = level * 2 + ask, .ref = ref};
    if (at->tail == NIL) {
        at->head = row;
        bits_set(clob, ask, level);
    } else {
        clob_nodes(clob)[at->tail].next = row;
    }
    at->tail = row;
    at->count++;
    at->qty += qty;
    clob->count[ask]++;
    id_map_put(clob_slots(clob), clob->slot_count, id, row);
}

static void queue_remove(clob_t *clob, uint32_t row)
{
    clob_node_t   *node                                                   = &clob_nodes(clob)[row];
    const unsigned ask                                                    = node->place & 1;
    const uint32_t level                                                  = node->place >> 1;
    clob_level_t  *at                                                     = &clob_levels_at(clob)[level];
    *(node->prev == NIL ? &at->head : &clob_nodes(clob)[node->prev].next) = node->next;
    *(node->next == NIL ? &at->tail : &clob_nodes(clob)[node->next].prev) = node->prev;
    at->count--;
    at->qty -= node->qty;
    if (at->head == NIL) {
        assert(at->count == 0 && at->qty == 0);
        bits_clear(clob, ask, level);
    }
    clob->count[ask]--;
    id_map_drop(clob_slots(clob), clob->slot_count, node->id);
    *node           = (clob_node_t){.next = clob->free_head};
    clob->free_head = row;
}

/* ---- taking ----------------------------------------------------------------------------------------------------- */

typedef struct taker { /* an incoming order, translated */
    unsigned ask;      /* the side it takes from: 1 when it buys */
    int64_t  limit;    /* the worst level it accepts; -1 or level_count: none */
    int64_t  qty;
} taker_t;

typedef struct plan {
    int64_t  qty;
    uint32_t fills;
} plan_t;

static bool taker_accepts(const taker_t *taker, uint32_t level)
{
    return level != NIL && (taker->ask ? (int64_t)level <= taker->limit : (int64_t)level >= taker->limit);
}

/* How much it would take, and in how many fills: counted before anything is touched. */
static plan_t taker_plan(const clob_t *clob, const taker_t *taker)
{
    plan_t   plan  = {0};
    uint32_t level = side_first(clob, taker->ask);
    for (; plan.qty < taker->qty && taker_accepts(taker, level); level = side_next(clob, taker->ask, level)) {
        const clob_level_t *at = &clob_levels_at(clob)[level];
        if (at->qty <= taker->qty - plan.qty) {
            plan.qty += at->qty;
            plan.fills += at->count;
            continue;
        }
        for (uint32_t row = at->head; plan.qty < taker->qty; row = clob_nodes(clob)[row].next) {
            plan.qty += min_i64(clob_nodes(clob)[row].qty, taker->qty - plan.qty);
            plan.fills++;
        }
    }
    return plan;
}

static void taker_run(clob_t *clob, const taker_t *taker, int64_t qty, clob_out_t *out)
{
    while (qty > 0) {
        const uint32_t level = side_first(clob, taker->ask);
        assert(taker_accepts(taker, level));
        clob_level_t  *at    = &clob_levels_at(clob)[level];
        const uint32_t row   = at->head;
        clob_node_t   *maker = &clob_nodes(clob)[row];
        const int64_t  take  = min_i64(maker->qty, qty);
        clob_fill_t   *fill  = &out->fills[out->count++];
        *fill                = (clob_fill_t){.maker_id         = maker->id,
                                             .px               = level_px(clob, level),
                                             .qty              = take,
                                             .maker_leaves_qty = maker->qty - take,
                                             .maker_ref        = maker->ref};
        if (take == maker->qty) {
            queue_remove(clob, row);
        } else {
            maker->qty -= take;
            at->qty -= take;
        }
        qty -= take;
    }
}

/* ---- orders ----------------------------------------------------------------------------------------------------- */

/* The level of a limit price. */
static err_t level_of(const clob_t *clob, int64_t px, uint32_t *level)
{
    const i128_t off = (i128_t)px - clob->cfg.px_min;
    if (off < 0 || off % clob->cfg.px_step != 0 || off / clob->cfg.px_step >= clob->cfg.level_count) {
        return err_set(ERR_RANGE, "clob: price %lld, limit %lld..%lld in steps of %lld", (long long)px,
                       (long long)clob->cfg.px_min, (long long)level_px(clob, clob->cfg.level_count - 1),
                       (long long)clob->cfg.px_step);
    }
    *level = (uint32_t)(off / clob->cfg.px_step);
    return ERR_OK;
}

/* The worst level a market order accepts: any price may be named, also between two levels and outside of the band. */
static int64_t market_limit(const clob_t *clob, const clob_order_t *order)
{
    const bool   buy = order->side == SIDE_BUY;
    const i128_t off = (i128_t)order->px - clob->cfg.px_min;
    if (!order->capped) {
        return buy ? INT64_MAX : 0;
    }
    const i128_t level = buy ? div_floor(off, clob->cfg.px_step) : div_ceil(off, clob->cfg.px_step);
    return level < 0 ? (buy ? -1 : 0) : min_i64(level > INT64_MAX ? INT64_MAX : (int64_t)level, CLOB_LEVELS_MAX);
}

static err_t check_qty(int64_t qty)
{
    if (qty <= 0 || qty > CLOB_QTY_MAX) {
        return err_set(ERR_RANGE, "clob: quantity %lld, limit 1..%lld", (long long)qty, CLOB_QTY_MAX);
    }
    return ERR_OK;
}

static err_t check_order(const clob_t *clob, const clob_order_t *order)
{
    const bool tif_known =
        order->tif == TIF_DAY || order->tif == TIF_GTC || order->tif == TIF_IOC || order->tif == TIF_FOK;
    if (order->id == 0 || (order->side != SIDE_BUY && order->side != SIDE_SELL) || !tif_known ||
        (order->ord_type != ORD_TYPE_LIMIT && order->ord_type != ORD_TYPE_MARKET)) {
        return err_set(ERR_ARG, "clob: order %llu side %u type %u tif %u, limit id > 0 and known enums",
                       (unsigned long long)order->id, order->side, order->ord_type, order->tif);
    }
    if (id_map_find(clob_slots(clob), clob->slot_count, order->id) != ID_MAP_NONE) {
        return err_set(ERR_EXISTS, "clob: order %llu rests in the book already", (unsigned long long)order->id);
    }
    return check_qty(order->qty);
}

err_t clob_submit(clob_t *clob, const clob_order_t *order, clob_out_t *out)
{
    const bool limit = order->ord_type == ORD_TYPE_LIMIT;
    uint32_t   level = 0;
    err_t      err   = check_order(clob, order);
    if (err == ERR_OK && limit) {
        err = level_of(clob, order->px, &level);
    }
    if (err != ERR_OK) {
        return err;
    }
    const taker_t taker = {
        .ask = order->side == SIDE_BUY, .limit = limit ? (int64_t)level : market_limit(clob, order), .qty = order->qty};
    const plan_t plan  = taker_plan(clob, &taker);
    const bool   rests = limit && order->tif != TIF_IOC && order->tif != TIF_FOK && plan.qty < order->qty;
    const bool   none  = order->tif == TIF_FOK && plan.qty < order->qty;
    if (order->post_only && plan.qty > 0) {
        return ERR_CROSSED;
    }
    if (!none && plan.fills > out->cap) {
        return ERR_FULL;
    }
    if (rests && plan.qty == 0 && clob->free_head == NIL) { /* an order that took has freed a row */
        return err_set(ERR_LIMIT, "clob: %u orders rest in the book, which is its limit", clob->cfg.orders_max);
    }
    out->count = 0;
    taker_run(clob, &taker, none ? 0 : plan.qty, out);
    out->leaves_qty = none ? order->qty : order->qty - plan.qty;
    out->resting    = rests;
    if (rests) {
        queue_append(clob, order->id, order->ref, !taker.ask, level, out->leaves_qty);
    }
    return ERR_OK;
}

err_t clob_cancel(clob_t *clob, uint64_t id, int64_t *leaves_qty)
{
    const uint32_t row = id == 0 ? ID_MAP_NONE : id_map_find(clob_slots(clob), clob->slot_count, id);
    if (row == ID_MAP_NONE) {
        return ERR_NOT_FOUND;
    }
    *leaves_qty = clob_nodes(clob)[row].qty;
    queue_remove(clob, row);
    return ERR_OK;
}

err_t clob_replace(clob_t *clob, uint64_t id, int64_t px, int64_t leaves_qty, bool post_only, clob_out_t *out)
{
    const uint32_t row = id == 0 ? ID_MAP_NONE : id_map_find(clob_slots(clob), clob->slot_count, id);
    if (row == ID_MAP_NONE) {
        return ERR_NOT_FOUND;
    }
    uint32_t level = 0;
    err_t    err   = check_qty(leaves_qty);
    if (err == ERR_OK) {
        err = level_of(clob, px, &level);
    }
    if (err != ERR_OK) {
        return err;
    }
    clob_node_t   *node = &clob_nodes(clob)[row];
    const unsigned ask  = node->place & 1;
    const uint32_t ref  = node->ref;
    if (level == node->place >> 1 && leaves_qty <= node->qty) {
        clob_levels_at(clob)[level].qty -= node->qty - leaves_qty;
        node->qty       = leaves_qty;
        out->count      = 0;
        out->leaves_qty = leaves_qty;
        out->resting    = true;
        return ERR_OK;
    }
    const taker_t taker = {.ask = !ask, .limit = level, .qty = leaves_qty};
    const plan_t  plan  = taker_plan(clob, &taker);
    if (post_only && plan.qty > 0) {
        return ERR_CROSSED;
    }
    if (plan.fills > out->cap) {
        return ERR_FULL;
    }
    queue_remove(clob, row);
    out->count = 0;
    taker_run(clob, &taker, plan.qty, out);
    out->leaves_qty = leaves_qty - plan.qty;
    out->resting    = out->leaves_qty > 0;
    if (out->resting) {
        queue_append(clob, id, ref, ask, level, out->leaves_qty);
    }
    return ERR_OK;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

bool clob_find(const clob_t *clob, uint64_t id, side_t *side, level_t *rest)
{
    const uint32_t row = id == 0 ? ID_MAP_NONE : id_map_find(clob_slots(clob), clob->slot_count, id);
    if (row == ID_MAP_NONE) {
        return false;
    }
    const clob_node_t *node = &clob_nodes(clob)[row];
    *side                   = node->place & 1 ? SIDE_SELL : SIDE_BUY;
    *rest                   = (level_t){.px = level_px(clob, node->place >> 1), .qty = node->qty};
    return true;
}

bool clob_best(const clob_t *clob, side_t side, level_t *out)
{
    *out = (level_t){0};
    return clob_levels(clob, side, out, 1) == 1;
}

int64_t clob_qty_at(const clob_t *clob, side_t side, int64_t px)
{
    const i128_t off = (i128_t)px - clob->cfg.px_min;
    if (off < 0 || off % clob->cfg.px_step != 0 || off / clob->cfg.px_step >= clob->cfg.level_count) {
        return 0;
    }
    const clob_level_t *at   = &clob_levels_at(clob)[off / clob->cfg.px_step];
    const bool          here = at->head != NIL && (clob_nodes(clob)[at->head].place & 1) == (side == SIDE_SELL);
    return here ? at->qty : 0;
}

uint32_t clob_levels(const clob_t *clob, side_t side, level_t *out, uint32_t max)
{
    const unsigned ask   = side == SIDE_SELL;
    uint32_t       count = 0;
    for (uint32_t i = side_first(clob, ask); i != NIL && count < max; i = side_next(clob, ask, i)) {
        out[count++] = (level_t){.px = level_px(clob, i), .qty = clob_levels_at(clob)[i].qty};
    }
    return count;
}

int64_t clob_queue(const clob_t *clob, uint64_t id)
{
    uint32_t row = id == 0 ? ID_MAP_NONE : id_map_find(clob_slots(clob), clob->slot_count, id);
    if (row == ID_MAP_NONE) {
        return -1;
    }
    int64_t ahead = 0;
    while ((row = clob_nodes(clob)[row].prev) != NIL) {
        ahead += clob_nodes(clob)[row].qty;
    }
    return ahead;
}

uint32_t clob_count(const clob_t *clob, side_t side)
{
    return clob->count[side == SIDE_SELL];
}

_Static_assert(sizeof(clob_node_t) == 32, "two rows a cache line");
_Static_assert(sizeof(clob_t) % 8 == 0 && sizeof(clob_level_t) == 24, "parts follow each other, 8-aligned");
_Static_assert((uint64_t)CLOB_QTY_MAX *CLOB_ORDERS_MAX <= INT64_MAX, "the sum of a level fits");
_Static_assert(CLOB_LEVELS_MAX == 64 * 64 * 64, "three tiers of 64");
