#include "core/match/clob.h"

#include <assert.h>
#include <string.h>

#include "core/book/ladder.h"
#include "core/types/num.h"

#define NIL UINT32_MAX
#define PLACE_ASK 1u
#define PLACE_ICEBERG 2u
#define PLACE_LEVEL 2 /* bits below the level's row */

typedef struct clob_node { /* a resting order; a free row has only next */
    uint64_t id;
    int64_t  qty; /* visible, > 0 */
    uint32_t next;
    uint32_t prev;
    uint32_t place; /* level row << PLACE_LEVEL | PLACE_ICEBERG | PLACE_ASK */
    uint32_t owner;
} clob_node_t;

typedef struct clob_hidden { /* of an iceberg */
    int64_t qty;
    int64_t display_qty;
} clob_hidden_t;

struct clob {                           /* then: the ladders of bids and asks, orders, buckets, hidden, chains */
    _Alignas(64) uint32_t ladder_at[2]; /* bytes from here */
    uint32_t   orders_at;
    uint32_t   index_at;
    uint32_t   chain_at;
    uint32_t   hidden_at;
    uint32_t   index_mask;
    uint32_t   free_row;
    uint32_t   count[2];    /* resting bids, asks */
    uint32_t   icebergs[2]; /* of these */
    clob_cfg_t cfg;
};

typedef struct taker { /* what an incoming order wants */
    ladder_t *against;
    int64_t   limit_rank; /* of the worst level that it accepts */
    int64_t   qty;
    uint32_t  ask; /* the side it takes from: 1 when it buys */
    uint32_t  owner;
    stp_t     stp;
} taker_t;

static ladder_t *clob_ladder(const clob_t *clob, unsigned ask)
{
    return (ladder_t *)((uintptr_t)clob + clob->ladder_at[ask]);
}
static clob_node_t *clob_node(const clob_t *clob, uint32_t row)
{
    return (clob_node_t *)((uintptr_t)clob + clob->orders_at) + row;
}
static clob_hidden_t *clob_hidden(const clob_t *clob, uint32_t row)
{
    return (clob_hidden_t *)((uintptr_t)clob + clob->hidden_at) + row;
}
static ladder_level_t *node_level(const clob_t *clob, const clob_node_t *node)
{
    return ladder_level(clob_ladder(clob, node->place & PLACE_ASK), node->place >> PLACE_LEVEL);
}
static int64_t hidden_qty(const clob_t *clob, const clob_node_t *node, uint32_t row)
{
    return node->place & PLACE_ICEBERG ? clob_hidden(clob, row)->qty : 0;
}

/* ---- index: ids to rows -------------------------------------------------------------------------------------------
 * A bucket is one word: the row of the order that came last, a few bits of its id's hash, and whether others may follow; those
 * chain[row] names, in the same form. At most half of the buckets are used, so most have one order or none: a search
 * reads the bucket and the order that it is about, and a cancel moves nothing. */

#define ENTRY_ROW ((1u << 21) - 1) /* row + 1; an entry of 0 is none */
#define ENTRY_MORE (1u << 21)
#define ENTRY_TAG 22 /* bits below the tag, which are the hash's highest */

static uint32_t *index_bucket(const clob_t *clob, uint32_t hash)
{
    return (uint32_t *)((uintptr_t)clob + clob->index_at) + (hash & clob->index_mask);
}
static uint32_t *index_chain(const clob_t *clob, uint32_t row)
{
    return (uint32_t *)((uintptr_t)clob + clob->chain_at) + row;
}

/* A 128-bit product folded: all bits of the id reach all bits of the hash, so neither strides nor shared low or high
 * halves pile up. */
static inline uint32_t index_hash(uint64_t id)
{
    const u128_t   product = (u128_t)(id ^ 0x9E3779B97F4A7C15ULL) * 0xD6E8FEB86659FD93ULL;
    const uint64_t fold    = (uint64_t)product ^ (uint64_t)(product >> 64);
    return (uint32_t)(fold ^ fold >> 32);
}

/* The row of id, NIL when it is not there. */
static inline uint32_t index_find(const clob_t *clob, uint64_t id, uint32_t hash)
{
    for (uint32_t entry = *index_bucket(clob, hash); entry != 0;) {
        const uint32_t row = (entry & ENTRY_ROW) - 1;
        if ((entry ^ hash) >> ENTRY_TAG == 0 && clob_node(clob, row)->id == id) {
            return row;
        }
        entry = entry & ENTRY_MORE ? *index_chain(clob, row) : 0;
    }
    return NIL;
}

static inline void index_put(clob_t *clob, uint32_t hash, uint32_t row)
{
    uint32_t *bucket = index_bucket(clob, hash);
    uint32_t  entry  = hash >> ENTRY_TAG << ENTRY_TAG | (row + 1);
    if (*bucket != 0) {
        *index_chain(clob, row) = *bucket;
        entry |= ENTRY_MORE;
    }
    *bucket = entry;
}

/* An entry that ends a chain leaves an entry of none, which ends it as well. */
static inline void index_drop(clob_t *clob, uint32_t hash, uint32_t row)
{
    uint32_t *at = index_bucket(clob, hash);
    while ((*at & ENTRY_ROW) != row + 1) {
        assert(*at & ENTRY_MORE);
        at = index_chain(clob, (*at & ENTRY_ROW) - 1);
    }
    *at = *at & ENTRY_MORE ? *index_chain(clob, row) : 0;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static uint32_t index_buckets(uint32_t orders_max)
{
    uint32_t buckets = 8;
    while (buckets < 2 * orders_max) {
        buckets *= 2;
    }
    return buckets;
}

static ladder_cfg_t clob_ladder_cfg(const clob_cfg_t *cfg, unsigned ask)
{
    return (ladder_cfg_t){.tick         = cfg->px_step,
                          .window_ticks = cfg->window_ticks,
                          .levels_max   = cfg->orders_max, /* no level is without an order: there is always one free */
                          .side         = ask ? SIDE_SELL : SIDE_BUY};
}

/* Where the parts lie; 0 and a sentence when cfg is out of range. */
static size_t clob_layout(const clob_cfg_t *cfg, clob_t *head)
{
    if (cfg->orders_max == 0 || cfg->orders_max > CLOB_ORDERS_MAX) {
        err_set(ERR_ARG, "clob: %u orders, limit 1..%u", cfg->orders_max, CLOB_ORDERS_MAX);
        return 0;
    }
    if (cfg->px_step <= 0) {
        err_set(ERR_ARG, "clob: px_step is %lld, limit above 0", (long long)cfg->px_step);
        return 0;
    }
    size_t bytes = sizeof *head;
    for (unsigned ask = 0; ask < 2; ask++) {
        const ladder_cfg_t ladder_cfg = clob_ladder_cfg(cfg, ask);
        const size_t       need       = ladder_footprint(&ladder_cfg);
        if (need == 0) {
            return 0;
        }
        head->ladder_at[ask] = (uint32_t)bytes;
        bytes += (need + 63) / 64 * 64;
    }
    const uint32_t buckets = index_buckets(cfg->orders_max);
    head->cfg              = *cfg;
    head->index_mask       = buckets - 1;
    head->orders_at        = (uint32_t)bytes;
    head->index_at         = head->orders_at + cfg->orders_max * (uint32_t)sizeof(clob_node_t);
    head->hidden_at        = head->index_at + buckets * (uint32_t)sizeof(uint32_t);
    head->chain_at         = head->hidden_at + cfg->orders_max * (uint32_t)sizeof(clob_hidden_t);
    return head->chain_at + cfg->orders_max * sizeof(uint32_t);
}

size_t clob_align(void)
{
    return _Alignof(clob_t);
}

size_t clob_footprint(const clob_cfg_t *cfg)
{
    clob_t head;
    return (clob_layout(cfg, &head) + 63) / 64 * 64;
}

clob_t *clob_new(void *mem, const clob_cfg_t *cfg)
{
    clob_t       head  = {0};
    const size_t bytes = clob_layout(cfg, &head);
    if (bytes == 0) {
        return NULL;
    }
    memset(mem, 0, (bytes + 63) / 64 * 64);
    clob_t *clob = mem;
    *clob        = head;
    for (unsigned ask = 0; ask < 2; ask++) {
        const ladder_cfg_t ladder_cfg = clob_ladder_cfg(cfg, ask);
        ladder_new(clob_ladder(clob, ask), &ladder_cfg);
    }
    for (uint32_t row = 0; row < cfg->orders_max; row++) {
        clob_node(clob, row)->next = row + 1 < cfg->orders_max ? row + 1 : NIL;
    }
    return clob;
}

/* ---- queues ----------------------------------------------------------------------------------------------------- */

/* To the tail of its level, made when there is none; id, owner and visible qty stand in the order. */
static inline void queue_append(clob_t *clob, uint32_t row, unsigned ask, int64_t px, uint32_t iceberg)
{
    ladder_t      *ladder = clob_ladder(clob, ask);
    const uint32_t at     = ladder_take(ladder, px);
    assert(at != LADDER_NONE);
    ladder_level_t *level                                                      = ladder_level(ladder, at);
    clob_node_t    *node                                                       = clob_node(clob, row);
    node->next                                                                 = NIL;
    node->prev                                                                 = level->tail;
    node->place                                                                = at << PLACE_LEVEL | iceberg | ask;
    *(level->tail == NIL ? &level->head : &clob_node(clob, level->tail)->next) = row;
    level->tail                                                                = row;
    level->qty += node->qty;
    level->count++;
}

/* Out of its level, which goes when it was the last one. */
static inline void queue_unlink(clob_t *clob, clob_node_t *node)
{
    ladder_t       *ladder = clob_ladder(clob, node->place & PLACE_ASK);
    const uint32_t  at     = node->place >> PLACE_LEVEL;
    ladder_level_t *level  = ladder_level(ladder, at);
    level->qty -= node->qty;
    if (--level->count == 0) {
        assert(level->qty == 0);
        ladder_drop(ladder, at);
        return;
    }
    *(node->prev == NIL ? &level->head : &clob_node(clob, node->prev)->next) = node->next;
    *(node->next == NIL ? &level->tail : &clob_node(clob, node->next)->prev) = node->prev;
}

/* An order that is in no level any more is forgotten. */
static inline void order_free(clob_t *clob, uint32_t row, uint32_t hash)
{
    clob_node_t   *node = clob_node(clob, row);
    const unsigned ask  = node->place & PLACE_ASK;
    clob->count[ask]--;
    clob->icebergs[ask] -= (node->place & PLACE_ICEBERG) != 0;
    index_drop(clob, hash, row);
    node->next     = clob->free_row;
    clob->free_row = row;
}

/* leaves_qty rests at the tail, in a row that is the order's already (replace) or was just taken. */
static inline void order_rest(clob_t *clob, uint32_t row, unsigned ask, int64_t px, int64_t leaves_qty,
                              int64_t display_qty)
{
    clob_node_t *node = clob_node(clob, row);
    node->qty         = leaves_qty;
    if (__builtin_expect(display_qty > 0, 0)) {
        node->qty               = min_i64(leaves_qty, display_qty);
        *clob_hidden(clob, row) = (clob_hidden_t){.qty = leaves_qty - node->qty, .display_qty = display_qty};
    }
    queue_append(clob, row, ask, px, display_qty > 0 ? PLACE_ICEBERG : 0);
}

/* Less of it, at its place: what nobody sees goes first. */
static void order_reduce(clob_t *clob, uint32_t row, int64_t qty)
{
    clob_node_t  *node   = clob_node(clob, row);
    const int64_t unseen = min_i64(qty, hidden_qty(clob, node, row));
    const int64_t seen   = qty - unseen;
    node->qty -= seen;
    node_level(clob, node)->qty -= seen;
    if (unseen > 0) {
        clob_hidden(clob, row)->qty -= unseen;
    }
    assert(node->qty > 0);
}

/* ---- counting before anything happens ----------------------------------------------------------------------------- */

static bool taker_is_owner(const taker_t *taker, const clob_node_t *node)
{
    return node->owner == taker->owner && taker->owner != 0 && taker->stp != STP_NONE;
}

/* The best level that a taker accepts, or the next worse one after a level; NIL: none. */
static uint32_t taker_level(const taker_t *taker, const ladder_level_t *after)
{
    const ladder_t *ladder = taker->against;
    const uint32_t  at     = after == NULL ? ladder_best(ladder) : ladder_worse(ladder, after->px);
    return at != LADDER_NONE && ladder_rank(ladder, ladder_level(ladder, at)->px) >= taker->limit_rank ? at : NIL;
}

/* What an iceberg shows in its n-th slice after the one it shows now, n >= 1; 0: there is none. */
static int64_t iceberg_slice(const clob_hidden_t *hidden, uint32_t n)
{
    const int64_t gone = n - 1 > hidden->qty / hidden->display_qty ? hidden->qty : (n - 1) * hidden->display_qty;
    return max_i64(min_i64(hidden->display_qty, hidden->qty - gone), 0);
}

typedef struct plan {
    int64_t  left; /* to be taken */
    uint64_t events;
    bool     done; /* filled, or stopped */
} plan_t;

/* One order of a level in its n-th round; false when it has no slice in it. Own ones are dealt with in the first. */
static bool plan_order(const clob_t *clob, const taker_t *taker, uint32_t row, uint32_t n, plan_t *plan)
{
    const clob_node_t *node   = clob_node(clob, row);
    const int64_t      hidden = hidden_qty(clob, node, row);
    if (taker_is_owner(taker, node)) {
        const int64_t all = node->qty + hidden;
        plan->events += n == 0 && taker->stp != STP_CANCEL_NEWEST;
        plan->done = taker->stp == STP_CANCEL_NEWEST || taker->stp == STP_CANCEL_BOTH ||
                     (taker->stp == STP_DECREMENT && n == 0 && all >= plan->left);
        plan->left -= taker->stp == STP_DECREMENT && n == 0 ? min_i64(all, plan->left) : 0;
        return false;
    }
    const int64_t slice = n == 0 ? node->qty : (hidden > 0 ? iceberg_slice(clob_hidden(clob, row), n) : 0);
    if (slice == 0) {
        return false;
    }
    const bool follows = slice <= plan->left && hidden > 0 && iceberg_slice(clob_hidden(clob, row), n + 1) > 0;
    plan->events += follows ? 2 : 1;
    plan->left -= min_i64(slice, plan->left);
    plan->done = plan->left == 0;
    return true;
}

/* Do the events of a taker fit? Icebergs of a level take turns: a round goes through all of them, each with its next
 * slice, which stands behind the slices of the round before. O(orders taken), at most cap. */
static bool taker_fits(const clob_t *clob, const taker_t *taker, uint32_t cap)
{
    plan_t plan = {.left = taker->qty};
    if (cap >= clob->count[taker->ask] && clob->icebergs[taker->ask] == 0) {
        return true; /* one event each */
    }
    for (uint32_t at = taker_level(taker, NULL); at != NIL; at = taker_level(taker, ladder_level(taker->against, at))) {
        const ladder_level_t *level = ladder_level(taker->against, at);
        bool                  more  = true;
        for (uint32_t n = 0; more; n++) {
            more = false;
            for (uint32_t row = level->head; row != NIL; row = clob_node(clob, row)->next) {
                more |= plan_order(clob, taker, row, n, &plan);
                if (plan.done || plan.events > cap) {
                    return plan.events <= cap;
                }
            }
            more = more && clob->icebergs[taker->ask] > 0;
        }
    }
    return true;
}

/* Would a FOK be filled, by others alone? An order of its owner that would stop it is met after what is visible in
 * front of it; hidden quantity of its level comes only behind. O(orders taken). */
static bool taker_fills(const clob_t *clob, const taker_t *taker)
{
    int64_t left = taker->qty;
    for (uint32_t at = taker_level(taker, NULL); at != NIL; at = taker_level(taker, ladder_level(taker->against, at))) {
        const ladder_level_t *level  = ladder_level(taker->against, at);
        int64_t               hidden = 0;
        for (uint32_t row = level->head; row != NIL; row = clob_node(clob, row)->next) {
            const clob_node_t *node = clob_node(clob, row);
            if (!taker_is_owner(taker, node)) {
                left -= node->qty;
                hidden += hidden_qty(clob, node, row);
            } else if (taker->stp != STP_CANCEL_OLDEST) {
                return false;
            }
            if (left <= 0) {
                return true;
            }
        }
        left -= hidden;
        if (left <= 0) {
            return true;
        }
    }
    return false;
}

/* ---- taking ----------------------------------------------------------------------------------------------------- */

static inline void event_add(clob_out_t *out, const clob_node_t *maker, uint32_t row, clob_kind_t kind, int64_t px,
                             int64_t qty, int64_t leaves_qty)
{
    out->events[out->count++] = (clob_event_t){
        .maker_id = maker->id, .px = px, .qty = qty, .maker_leaves_qty = leaves_qty, .maker_row = row, .kind = kind};
}

/* The head of a level is of the taker's owner: what that does to both. false: the taker ends here. */
static __attribute__((noinline)) bool taker_meets_owner(clob_t *clob, taker_t *taker, uint32_t row, clob_out_t *out)
{
    clob_node_t  *maker = clob_node(clob, row);
    const int64_t px    = node_level(clob, maker)->px;
    const int64_t all   = maker->qty + hidden_qty(clob, maker, row);
    out->stopped        = taker->stp == STP_CANCEL_NEWEST || taker->stp == STP_CANCEL_BOTH;
    if (taker->stp == STP_CANCEL_NEWEST) {
        return false;
    }
    if (taker->stp == STP_DECREMENT && taker->qty < all) {
        event_add(out, maker, row, CLOB_STP_DECREMENT, px, taker->qty, all - taker->qty);
        order_reduce(clob, row, taker->qty);
        taker->qty = 0;
        return false;
    }
    event_add(out, maker, row, taker->stp == STP_DECREMENT ? CLOB_STP_DECREMENT : CLOB_STP_CANCEL, px, all, 0);
    taker->qty -= taker->stp == STP_DECREMENT ? all : 0;
    queue_unlink(clob, maker);
    order_free(clob, row, index_hash(clob_node(clob, row)->id));
    return !out->stopped;
}

/* The visible slice of the head of a level is used up: the next one goes to the tail. false: there is none. */
static __attribute__((noinline)) bool iceberg_turn(clob_t *clob, uint32_t row, int64_t px, clob_out_t *out)
{
    clob_node_t   *maker  = clob_node(clob, row);
    clob_hidden_t *hidden = clob_hidden(clob, row);
    if (hidden->qty == 0) {
        return false;
    }
    ladder_level_t *level = node_level(clob, maker);
    maker->qty            = min_i64(hidden->display_qty, hidden->qty);
    hidden->qty -= maker->qty;
    level->qty += maker->qty;
    if (level->tail != row) {
        level->head                        = maker->next;
        clob_node(clob, maker->next)->prev = NIL;
        clob_node(clob, level->tail)->next = row;
        maker->prev                        = level->tail;
        maker->next                        = NIL;
        level->tail                        = row;
    }
    event_add(out, maker, row, CLOB_REPLENISH, px, maker->qty, maker->qty + hidden->qty);
    return true;
}

/* From one level, until it is empty or the taker is: the room for all events has been seen to. */
static inline bool taker_level_run(clob_t *clob, taker_t *taker, uint32_t at, clob_out_t *out)
{
    ladder_level_t *level = ladder_level(taker->against, at);
    const int64_t   px    = level->px;
    while (taker->qty > 0) {
        const uint32_t row   = level->head;
        clob_node_t   *maker = clob_node(clob, row);
        if (__builtin_expect(taker_is_owner(taker, maker), 0)) {
            const bool last = level->count == 1;
            if (!taker_meets_owner(clob, taker, row, out)) {
                return false;
            }
            if (last) {
                return true;
            }
            continue;
        }
        const int64_t take = min_i64(maker->qty, taker->qty);
        taker->qty -= take;
        maker->qty -= take;
        level->qty -= take;
        event_add(out, maker, row, CLOB_FILL, px, take, maker->qty + hidden_qty(clob, maker, row));
        if (maker->qty > 0 || (maker->place & PLACE_ICEBERG && iceberg_turn(clob, row, px, out))) {
            continue;
        }
        const bool last = level->count == 1;
        queue_unlink(clob, maker);
        order_free(clob, row, index_hash(clob_node(clob, row)->id));
        if (last) {
            return true;
        }
    }
    return false;
}

static void taker_run(clob_t *clob, taker_t *taker, clob_out_t *out)
{
    uint32_t at;
    while (taker->qty > 0 && (at = taker_level(taker, NULL)) != NIL && taker_level_run(clob, taker, at, out)) {
    }
}

/* ---- orders ----------------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) err_t refuse_px(const clob_t *clob, int64_t px)
{
    return err_set(ERR_RANGE, "clob: price %lld, limit multiples of %lld within %lld", (long long)px,
                   (long long)clob->cfg.px_step, CLOB_PX_MAX);
}

static bool px_good(const clob_t *clob, int64_t px)
{
    return px > -CLOB_PX_MAX && px < CLOB_PX_MAX && ladder_on_tick(clob_ladder(clob, 0), px);
}

static __attribute__((noinline)) err_t refuse_qty(int64_t qty)
{
    return err_set(ERR_RANGE, "clob: quantity %lld, limit 1..%lld", (long long)qty, CLOB_QTY_MAX);
}

static bool qty_good(int64_t qty)
{
    return qty > 0 && qty <= CLOB_QTY_MAX;
}

static bool enums_good(const clob_order_t *order)
{
    const uint32_t tifs = 1u << TIF_DAY | 1u << TIF_GTC | 1u << TIF_IOC | 1u << TIF_FOK;
    return order->id != 0 && (order->side == SIDE_BUY || order->side == SIDE_SELL) && order->tif < 32 &&
           (tifs >> order->tif & 1) != 0 && order->stp <= STP_DECREMENT &&
           (order->ord_type == ORD_TYPE_LIMIT || order->ord_type == ORD_TYPE_MARKET);
}

static __attribute__((noinline)) err_t refuse_enums(const clob_order_t *order)
{
    return err_set(ERR_ARG, "clob: order %llu side %u type %u tif %u stp %u, limit id > 0 and known enums",
                   (unsigned long long)order->id, order->side, order->ord_type, order->tif, order->stp);
}

static err_t check_order(const clob_t *clob, const clob_order_t *order)
{
    if (!enums_good(order)) {
        return refuse_enums(order);
    }
    if (!qty_good(order->qty)) {
        return refuse_qty(order->qty);
    }
    if (order->display_qty < 0) {
        return err_set(ERR_RANGE, "clob: display quantity %lld, limit 0 (all) and above",
                       (long long)order->display_qty);
    }
    return order->ord_type == ORD_TYPE_MARKET || px_good(clob, order->px) ? ERR_OK : refuse_px(clob, order->px);
}

/* What rests of a new order gets a row and its place in the index. */
static inline uint32_t order_enter(clob_t *clob, const clob_order_t *order, uint32_t hash, int64_t leaves)
{
    const unsigned ask  = order->side == SIDE_SELL;
    const uint32_t row  = clob->free_row;
    clob_node_t   *node = clob_node(clob, row);
    clob->free_row      = node->next;
    clob->count[ask]++;
    clob->icebergs[ask] += order->display_qty > 0;
    node->id    = order->id;
    node->owner = order->owner;
    index_put(clob, hash, row);
    order_rest(clob, row, ask, order->px, leaves, order->display_qty);
    return row;
}

/* An order that meets the other side, or has nothing to rest. */
static __attribute__((noinline)) err_t submit_taker(clob_t *clob, const clob_order_t *order, taker_t *taker,
                                                    uint32_t hash, clob_out_t *out)
{
    const bool limit = order->ord_type == ORD_TYPE_LIMIT;
    const bool meets = taker_level(taker, NULL) != NIL;
    const bool runs  = meets && (order->tif != TIF_FOK || taker_fills(clob, taker));
    if (order->post_only && meets) {
        return ERR_CROSSED;
    }
    if (runs && !taker_fits(clob, taker, out->cap)) {
        return ERR_FULL;
    }
    out->count   = 0;
    out->stopped = false;
    if (runs) {
        taker_run(clob, taker, out);
    }
    out->leaves_qty = taker->qty;
    out->resting    = limit && (order->tif == TIF_GTC || order->tif == TIF_DAY) && taker->qty > 0 && !out->stopped;
    out->row        = CLOB_NONE;
    if (out->resting) { /* what it took has left a row */
        out->row = order_enter(clob, order, hash, taker->qty);
    }
    return ERR_OK;
}

err_t clob_submit(clob_t *clob, const clob_order_t *order, clob_out_t *out)
{
    const err_t err = check_order(clob, order);
    if (err != ERR_OK) {
        return err;
    }
    const uint32_t hash = index_hash(order->id);
    if (index_find(clob, order->id, hash) != NIL) {
        return err_set(ERR_EXISTS, "clob: order %llu rests in the book already", (unsigned long long)order->id);
    }
    const unsigned ask     = order->side == SIDE_BUY;
    ladder_t      *against = clob_ladder(clob, ask);
    const bool     limited = order->ord_type == ORD_TYPE_LIMIT || order->capped;
    taker_t        taker   = {.against    = against,
                              .limit_rank = limited ? ladder_rank(against, order->px) : INT64_MIN,
                              .qty        = order->qty,
                              .ask        = ask,
                              .owner      = order->owner,
                              .stp        = (stp_t)order->stp};
    const bool     rests   = order->ord_type == ORD_TYPE_LIMIT && (order->tif == TIF_GTC || order->tif == TIF_DAY);
    if (!rests || taker_level(&taker, NULL) != NIL) {
        return submit_taker(clob, order, &taker, hash, out);
    }
    if (clob->free_row == NIL) {
        return err_set(ERR_LIMIT, "clob: %u orders rest in the book, which is its limit", clob->cfg.orders_max);
    }
    out->count      = 0;
    out->stopped    = false;
    out->leaves_qty = order->qty;
    out->resting    = true;
    out->row        = order_enter(clob, order, hash, order->qty);
    return ERR_OK;
}

static inline uint32_t clob_row(const clob_t *clob, uint64_t id)
{
    return index_find(clob, id, index_hash(id)); /* 0 is the id of no order that rests */
}

err_t clob_cancel(clob_t *clob, uint64_t id, int64_t *leaves_qty)
{
    const uint32_t hash = index_hash(id);
    const uint32_t row  = index_find(clob, id, hash);
    if (row == NIL) {
        return ERR_NOT_FOUND;
    }
    clob_node_t *node = clob_node(clob, row);
    *leaves_qty       = node->qty + hidden_qty(clob, node, row);
    queue_unlink(clob, node);
    order_free(clob, row, hash);
    return ERR_OK;
}

err_t clob_replace(clob_t *clob, const clob_replace_t *change, clob_out_t *out)
{
    const uint32_t row = clob_row(clob, change->id);
    if (row == NIL) {
        return ERR_NOT_FOUND;
    }
    if (!qty_good(change->leaves_qty)) {
        return refuse_qty(change->leaves_qty);
    }
    if (!px_good(clob, change->px)) {
        return refuse_px(clob, change->px);
    }
    if (change->stp > STP_DECREMENT) {
        return err_set(ERR_ARG, "clob: replace of %llu with stp %u, limit %u", (unsigned long long)change->id,
                       change->stp, STP_DECREMENT);
    }
    clob_node_t  *node = clob_node(clob, row);
    const int64_t all  = node->qty + hidden_qty(clob, node, row);
    if (node_level(clob, node)->px == change->px && change->leaves_qty <= all) {
        order_reduce(clob, row, all - change->leaves_qty);
        out->count      = 0;
        out->leaves_qty = change->leaves_qty;
        out->row        = row;
        out->resting    = true;
        out->stopped    = false;
        return ERR_OK;
    }
    const unsigned ask     = node->place & PLACE_ASK;
    ladder_t      *against = clob_ladder(clob, !ask);
    taker_t        taker   = {.against    = against,
                              .limit_rank = ladder_rank(against, change->px),
                              .qty        = change->leaves_qty,
                              .ask        = !ask,
                              .owner      = node->owner,
                              .stp        = (stp_t)change->stp};
    const bool     meets   = taker_level(&taker, NULL) != NIL;
    if (change->post_only && meets) {
        return ERR_CROSSED;
    }
    if (meets && !taker_fits(clob, &taker, out->cap)) {
        return ERR_FULL;
    }
    const int64_t display_qty = node->place & PLACE_ICEBERG ? clob_hidden(clob, row)->display_qty : 0;
    queue_unlink(clob, node);
    out->count   = 0;
    out->stopped = false;
    taker_run(clob, &taker, out);
    out->leaves_qty = taker.qty;
    out->resting    = taker.qty > 0 && !out->stopped;
    out->row        = out->resting ? row : CLOB_NONE;
    if (out->resting) {
        order_rest(clob, row, ask, change->px, taker.qty, display_qty);
    } else {
        order_free(clob, row, index_hash(clob_node(clob, row)->id));
    }
    return ERR_OK;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

void clob_at(const clob_t *clob, uint32_t row, clob_rest_t *out)
{
    const clob_node_t *node    = clob_node(clob, row);
    const bool         iceberg = (node->place & PLACE_ICEBERG) != 0;
    *out                       = (clob_rest_t){.id          = node->id,
                                               .px          = node_level(clob, node)->px,
                                               .leaves_qty  = node->qty + hidden_qty(clob, node, row),
                                               .visible_qty = node->qty,
                                               .display_qty = iceberg ? clob_hidden(clob, row)->display_qty : 0,
                                               .owner       = node->owner,
                                               .row         = row,
                                               .side        = node->place & PLACE_ASK ? SIDE_SELL : SIDE_BUY};
}

bool clob_find(const clob_t *clob, uint64_t id, clob_rest_t *out)
{
    const uint32_t row = clob_row(clob, id);
    if (row == NIL) {
        return false;
    }
    clob_at(clob, row, out);
    return true;
}

uint32_t clob_first(const clob_t *clob, side_t side)
{
    const ladder_t *ladder = clob_ladder(clob, side == SIDE_SELL);
    const uint32_t  at     = ladder_best(ladder);
    return at == LADDER_NONE ? CLOB_NONE : ladder_level(ladder, at)->head;
}

uint32_t clob_next(const clob_t *clob, uint32_t row)
{
    const clob_node_t *node = clob_node(clob, row);
    if (node->next != NIL) {
        return node->next;
    }
    const ladder_t *ladder = clob_ladder(clob, node->place & PLACE_ASK);
    const uint32_t  at     = ladder_worse(ladder, node_level(clob, node)->px);
    return at == LADDER_NONE ? CLOB_NONE : ladder_level(ladder, at)->head;
}

bool clob_best(const clob_t *clob, side_t side, level_t *out)
{
    *out = (level_t){0};
    return clob_levels(clob, side, out, 1) == 1;
}

int64_t clob_qty_at(const clob_t *clob, side_t side, int64_t px)
{
    const ladder_t *ladder = clob_ladder(clob, side == SIDE_SELL);
    const uint32_t  at     = px_good(clob, px) ? ladder_find(ladder, px) : LADDER_NONE;
    return at == LADDER_NONE ? 0 : ladder_level(ladder, at)->qty;
}

uint32_t clob_levels(const clob_t *clob, side_t side, level_t *out, uint32_t max)
{
    const ladder_t *ladder = clob_ladder(clob, side == SIDE_SELL);
    uint32_t        count  = 0;
    uint32_t        at     = ladder_best(ladder);
    while (at != LADDER_NONE && count < max) {
        const ladder_level_t *level = ladder_level(ladder, at);
        out[count++]                = (level_t){.px = level->px, .qty = level->qty};
        at                          = count < max ? ladder_worse(ladder, level->px) : LADDER_NONE;
    }
    return count;
}

int64_t clob_queue(const clob_t *clob, uint64_t id)
{
    uint32_t row = clob_row(clob, id);
    if (row == NIL) {
        return -1;
    }
    int64_t ahead = 0;
    while ((row = clob_node(clob, row)->prev) != NIL) {
        ahead += clob_node(clob, row)->qty;
    }
    return ahead;
}

uint32_t clob_count(const clob_t *clob, side_t side)
{
    return clob->count[side == SIDE_SELL];
}

_Static_assert(sizeof(clob_node_t) == 32, "two rows a cache line");
_Static_assert(sizeof(clob_t) == 64, "parts follow each other, 8-aligned");
_Static_assert((uint64_t)CLOB_QTY_MAX *CLOB_ORDERS_MAX <= INT64_MAX, "the sum of a level fits");
_Static_assert(CLOB_PX_MAX == LADDER_PX_LIMIT, "a ladder takes every price");
