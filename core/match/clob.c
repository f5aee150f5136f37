#include "core/match/clob.h"

#include <assert.h>
#include <string.h>

#include "core/book/ladder.h"
#include "core/types/num.h"

#define NIL UINT32_MAX
#define PLACE_ASK 1u
#define PLACE_ICEBERG 2u
#define PLACE_FLAGS 3u

/* Orders and levels are 32 bytes each and lie in one block, so one number says where either is: that of 32 bytes,
 * counted from the first order. A queue is a ring through its level: the number of the level stands where an end would
 * be, and linking and unlinking ask for no ends. Numbers from orders_max on are levels. */
typedef struct clob_node { /* a resting order; a free row has only next */
    uint64_t id;
    int64_t  qty;   /* visible, > 0 */
    uint32_t next;  /* as ladder_level_t.head */
    uint32_t prev;  /* as ladder_level_t.tail */
    uint32_t place; /* of the level, * 4 | PLACE_ICEBERG | PLACE_ASK */
    uint32_t owner;
} clob_node_t;

typedef struct clob_hidden { /* of an iceberg */
    int64_t qty;
    int64_t display_qty;
} clob_hidden_t;

struct clob {                           /* then: orders, the ladders of bids and asks, buckets, hidden, chains */
    _Alignas(64) uint32_t ladder_at[2]; /* bytes from here */
    uint32_t   index_at;
    uint32_t   chain_at;
    uint32_t   hidden_at;
    uint32_t   index_mask;
    uint32_t   free_row;
    uint32_t   count[2];    /* resting bids, asks */
    uint32_t   icebergs[2]; /* of these */
    uint32_t   reserved;
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
    return (clob_node_t *)((uintptr_t)clob + sizeof *clob) + row;
}
static clob_hidden_t *clob_hidden(const clob_t *clob, uint32_t row)
{
    return (clob_hidden_t *)((uintptr_t)clob + clob->hidden_at) + row;
}
/* The ends of what has that number: an order's next and prev, a level's head and tail. */
static uint32_t *link_next(const clob_t *clob, uint32_t at)
{
    return (uint32_t *)((uintptr_t)clob_node(clob, at) + offsetof(clob_node_t, next));
}
static uint32_t *link_prev(const clob_t *clob, uint32_t at)
{
    return (uint32_t *)((uintptr_t)clob_node(clob, at) + offsetof(clob_node_t, prev));
}
static uint32_t level_number(const clob_t *clob, const ladder_level_t *level)
{
    return (uint32_t)(((uintptr_t)level - (uintptr_t)clob - sizeof *clob) / sizeof(clob_node_t));
}
static bool link_ends(const clob_t *clob, uint32_t at)
{
    return at >= clob->cfg.orders_max;
}
static ladder_level_t *node_level(const clob_t *clob, const clob_node_t *node)
{
    return (ladder_level_t *)((uintptr_t)clob + sizeof *clob +
                              (size_t)(node->place & ~PLACE_FLAGS) * (sizeof(clob_node_t) / 4));
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

/* The entry of id, NULL when it is not there. Most ids that are not there end at the tag or at a bucket of none, which
 * are one branch. */
static inline uint32_t *index_find(const clob_t *clob, uint64_t id, uint32_t hash)
{
    uint32_t *at = index_bucket(clob, hash);
    for (;;) {
        const uint32_t entry = *at;
        const uint32_t row   = (entry & ENTRY_ROW) - 1;
        if (__builtin_expect((entry ^ hash) >> ENTRY_TAG == 0 && row != NIL && clob_node(clob, row)->id == id, 1)) {
            return at;
        }
        if (__builtin_expect((entry & ENTRY_MORE) == 0, 1)) {
            return NULL;
        }
        at = index_chain(clob, row);
    }
}

static inline void index_put(clob_t *clob, uint32_t hash, uint32_t row)
{
    uint32_t      *bucket   = index_bucket(clob, hash);
    const uint32_t before   = *bucket;
    *index_chain(clob, row) = before;
    *bucket                 = hash >> ENTRY_TAG << ENTRY_TAG | (before != 0 ? ENTRY_MORE : 0) | (row + 1);
}

/* The entry of an order that is there. */
static inline uint32_t *index_entry(const clob_t *clob, uint32_t hash, uint32_t row)
{
    uint32_t *at = index_bucket(clob, hash);
    while ((*at & ENTRY_ROW) != row + 1) {
        assert(*at & ENTRY_MORE);
        at = index_chain(clob, (*at & ENTRY_ROW) - 1);
    }
    return at;
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
    size_t bytes = (sizeof *head + cfg->orders_max * sizeof(clob_node_t) + 63) / 64 * 64;
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
    head->index_at         = (uint32_t)bytes;
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

/* A level that comes, or lies outside of the window. */
static __attribute__((noinline)) ladder_level_t *level_take(clob_t *clob, ladder_t *ladder, int64_t px)
{
    const uint32_t at = ladder_take(ladder, px);
    assert(at != LADDER_NONE);
    ladder_level_t *level = ladder_level(ladder, at);
    if (level->count == 0) {
        level->head = level->tail = level_number(clob, level);
    }
    return level;
}

/* To the tail of its level, made when there is none; id, owner and visible qty stand in the order. (Neighbours are not
 * written next to each other, lest the compiler gathers them in vector registers, which takes longer.) */
static inline void queue_append(clob_t *clob, uint32_t row, unsigned ask, int64_t px, uint64_t key, uint32_t iceberg)
{
    ladder_t       *ladder = clob_ladder(clob, ask);
    const uint32_t  at     = ladder_find_near(ladder, key);
    ladder_level_t *level =
        __builtin_expect(at != LADDER_NONE, 1) ? ladder_level(ladder, at) : level_take(clob, ladder, px);
    clob_node_t   *node   = clob_node(clob, row);
    const uint32_t number = level_number(clob, level);
    const uint32_t tail   = level->tail;
    level->qty += node->qty;
    level->count++;
    node->prev             = tail;
    node->place            = number * 4 | iceberg | ask;
    *link_next(clob, tail) = row;
    level->tail            = row;
    node->next             = number;
}

/* The last order of a level is gone. */
static __attribute__((noinline)) void level_drop(clob_t *clob, ladder_level_t *level, unsigned ask)
{
    ladder_t *ladder = clob_ladder(clob, ask);
    assert(level->qty == 0);
    ladder_drop(ladder, (uint32_t)(level - ladder_level(ladder, 0)));
}

/* Out of its level, which goes when it was the last one. */
static inline void queue_unlink(clob_t *clob, const clob_node_t *node)
{
    ladder_level_t *level  = node_level(clob, node);
    const uint32_t  next   = node->next;
    const uint32_t  prev   = node->prev;
    *link_next(clob, prev) = next;
    *link_prev(clob, next) = prev;
    level->qty -= node->qty;
    if (__builtin_expect(--level->count == 0, 0)) {
        level_drop(clob, level, node->place & PLACE_ASK);
    }
}

/* An order that is in no level any more is forgotten. */
static inline void order_free(clob_t *clob, uint32_t row, uint32_t *entry)
{
    clob_node_t   *node = clob_node(clob, row);
    const unsigned ask  = node->place & PLACE_ASK;
    clob->count[ask]--;
    clob->icebergs[ask] -= (node->place & PLACE_ICEBERG) != 0;
    *entry         = *index_chain(clob, row);
    node->next     = clob->free_row;
    clob->free_row = row;
}

/* leaves_qty rests at the tail, in a row that is the order's already (replace) or was just taken. */
static inline void order_rest(clob_t *clob, uint32_t row, unsigned ask, int64_t px, uint64_t key, int64_t leaves_qty,
                              int64_t display_qty)
{
    clob_node_t *node    = clob_node(clob, row);
    uint32_t     iceberg = 0;
    node->qty            = leaves_qty;
    if (__builtin_expect(display_qty > 0, 0)) {
        iceberg                 = PLACE_ICEBERG;
        node->qty               = min_i64(leaves_qty, display_qty);
        *clob_hidden(clob, row) = (clob_hidden_t){.qty = leaves_qty - node->qty, .display_qty = display_qty};
    }
    queue_append(clob, row, ask, px, key, iceberg);
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

/* One order of a level in its n-th round, if it has a slice in it. Own ones are dealt with in the first. */
static void plan_order(const clob_t *clob, const taker_t *taker, uint32_t row, uint32_t n, plan_t *plan)
{
    const clob_node_t *node   = clob_node(clob, row);
    const int64_t      hidden = hidden_qty(clob, node, row);
    if (taker_is_owner(taker, node)) {
        const int64_t all = node->qty + hidden;
        plan->events += n == 0 && taker->stp != STP_CANCEL_NEWEST;
        plan->done = taker->stp == STP_CANCEL_NEWEST || taker->stp == STP_CANCEL_BOTH ||
                     (taker->stp == STP_DECREMENT && n == 0 && all >= plan->left);
        plan->left -= taker->stp == STP_DECREMENT && n == 0 ? min_i64(all, plan->left) : 0;
        return;
    }
    const int64_t slice = n == 0 ? node->qty : (hidden > 0 ? iceberg_slice(clob_hidden(clob, row), n) : 0);
    if (slice == 0) {
        return;
    }
    const bool follows = slice <= plan->left && hidden > 0 && iceberg_slice(clob_hidden(clob, row), n + 1) > 0;
    plan->events += follows ? 2 : 1;
    plan->left -= min_i64(slice, plan->left);
    plan->done = plan->left == 0;
}

/* Room for an event of each order of the side, and no order has more than one? */
static inline bool taker_has_room(const clob_t *clob, const taker_t *taker, uint32_t cap)
{
    return cap >= clob->count[taker->ask] && clob->icebergs[taker->ask] == 0;
}

/* One round of a level: each order with its n-th slice, which stands behind the slices of the round before. */
static void plan_round(const clob_t *clob, const taker_t *taker, const ladder_level_t *level, uint32_t n, uint32_t cap,
                       plan_t *plan)
{
    for (uint32_t row = level->head; !link_ends(clob, row) && !plan->done && plan->events <= cap;
         row          = clob_node(clob, row)->next) {
        plan_order(clob, taker, row, n, plan);
    }
}

/* What the icebergs of others on a level show in their next n slices, and the events when all of that is taken. */
static int64_t level_slices(const clob_t *clob, const taker_t *taker, const ladder_level_t *level, int64_t n,
                            uint64_t *events)
{
    int64_t qty = 0;
    *events     = 0;
    for (uint32_t row = level->head; !link_ends(clob, row); row = clob_node(clob, row)->next) {
        const clob_node_t *node   = clob_node(clob, row);
        const int64_t      hidden = hidden_qty(clob, node, row);
        if (hidden > 0 && !taker_is_owner(taker, node)) {
            const int64_t display = clob_hidden(clob, row)->display_qty;
            const int64_t slices  = (hidden - 1) / display + 1;
            const int64_t taken   = min_i64(n, slices);
            qty += taken == slices ? hidden : taken * display;
            *events += (uint64_t)(taken + min_i64(taken, slices - 1));
        }
    }
    return qty;
}

/* Icebergs of a level take turns: as many rounds as are taken whole are counted at once, found by bisection, then the
 * one in which the taker is filled. */
static void plan_slices(const clob_t *clob, const taker_t *taker, const ladder_level_t *level, uint32_t cap,
                        plan_t *plan)
{
    uint64_t events;
    int64_t  whole = level_slices(clob, taker, level, CLOB_QTY_MAX, &events) <= plan->left ? CLOB_QTY_MAX : 0;
    for (int64_t most = CLOB_QTY_MAX - 1; whole < most;) {
        const int64_t n = most - (most - whole) / 2;
        if (level_slices(clob, taker, level, n, &events) <= plan->left) {
            whole = n;
        } else {
            most = n - 1;
        }
    }
    plan->left -= level_slices(clob, taker, level, whole, &events);
    plan->events += events;
    plan->done = plan->left == 0;
    if (whole < CLOB_QTY_MAX && !plan->done && plan->events <= cap) { /* so it is no more than cap */
        plan_round(clob, taker, level, (uint32_t)whole + 1, cap, plan);
    }
}

/* Do the events of a taker fit? O(orders of the levels that it reaches); where it ends among the hidden slices of a
 * level, 42 times for that level. */
static bool taker_fits(const clob_t *clob, const taker_t *taker, uint32_t cap)
{
    plan_t plan = {.left = taker->qty};
    if (cap >= clob->count[taker->ask] && clob->icebergs[taker->ask] == 0) {
        return true; /* one event each */
    }
    for (uint32_t at = taker_level(taker, NULL); at != NIL; at = taker_level(taker, ladder_level(taker->against, at))) {
        const ladder_level_t *level = ladder_level(taker->against, at);
        plan_round(clob, taker, level, 0, cap, &plan);
        if (!plan.done && plan.events <= cap && clob->icebergs[taker->ask] > 0) {
            plan_slices(clob, taker, level, cap, &plan);
        }
        if (plan.done || plan.events > cap) {
            break;
        }
    }
    return plan.events <= cap;
}

/* Would a FOK be filled, by others alone? An order of its owner that would stop it is met after what is visible in
 * front of it; hidden quantity of its level comes only behind. O(orders taken). */
static bool taker_fills(const clob_t *clob, const taker_t *taker)
{
    int64_t left = taker->qty;
    for (uint32_t at = taker_level(taker, NULL); at != NIL; at = taker_level(taker, ladder_level(taker->against, at))) {
        const ladder_level_t *level  = ladder_level(taker->against, at);
        int64_t               hidden = 0;
        for (uint32_t row = level->head; !link_ends(clob, row); row = clob_node(clob, row)->next) {
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
    order_free(clob, row, index_entry(clob, index_hash(maker->id), row));
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
    *link_next(clob, maker->prev) = maker->next;
    *link_prev(clob, maker->next) = maker->prev;
    maker->next                   = level_number(clob, level);
    maker->prev                   = level->tail;
    *link_next(clob, level->tail) = row;
    level->tail                   = row;
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
        order_free(clob, row, index_entry(clob, index_hash(maker->id), row));
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

static __attribute__((noinline)) err_t refuse_px(const ladder_t *ladder, int64_t px)
{
    return err_set(ERR_RANGE, "clob: price %lld, limit multiples of %lld within %lld", (long long)px,
                   (long long)ladder->tick, CLOB_PX_MAX);
}

/* The price is a multiple of the step and in range: what is in a window is one for sure. */
static inline bool px_good(const ladder_t *ladder, int64_t px, uint64_t key)
{
    return px > -CLOB_PX_MAX && px < CLOB_PX_MAX &&
           (__builtin_expect(ladder_near(ladder, key), 1) || ladder_on_tick(ladder, px));
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

static __attribute__((noinline)) err_t refuse_display(int64_t display_qty)
{
    return err_set(ERR_RANGE, "clob: display quantity %lld, limit 0 (all) and above", (long long)display_qty);
}

/* key: of its price, on the ladder of its side. */
static inline err_t check_order(const ladder_t *ladder, const clob_order_t *order, uint64_t key)
{
    if (__builtin_expect(!enums_good(order), 0)) {
        return refuse_enums(order);
    }
    if (__builtin_expect(!qty_good(order->qty), 0)) {
        return refuse_qty(order->qty);
    }
    if (__builtin_expect(order->display_qty < 0, 0)) {
        return refuse_display(order->display_qty);
    }
    return __builtin_expect(order->ord_type == ORD_TYPE_MARKET || px_good(ladder, order->px, key), 1)
               ? ERR_OK
               : refuse_px(ladder, order->px);
}

/* What rests of a new order gets a row and its place in the index. */
static inline uint32_t order_enter(clob_t *clob, const clob_order_t *order, unsigned ask, uint64_t key, uint32_t hash,
                                   int64_t leaves)
{
    const uint32_t row  = clob->free_row;
    clob_node_t   *node = clob_node(clob, row);
    clob->free_row      = node->next;
    clob->count[ask]++;
    if (__builtin_expect(order->display_qty > 0, 0)) {
        clob->icebergs[ask]++;
    }
    node->id    = order->id;
    node->owner = order->owner;
    index_put(clob, hash, row);
    order_rest(clob, row, ask, order->px, key, leaves, order->display_qty);
    return row;
}

/* An order that meets the other side, or has nothing to rest. */
static __attribute__((noinline)) err_t submit_taker(clob_t *clob, const clob_order_t *order, uint64_t key,
                                                    uint32_t hash, clob_out_t *out)
{
    const unsigned ask     = order->side == SIDE_BUY;
    ladder_t      *against = clob_ladder(clob, ask);
    const bool     limit   = order->ord_type == ORD_TYPE_LIMIT;
    taker_t        taker   = {.against    = against,
                              .limit_rank = limit || order->capped ? ladder_rank(against, order->px) : INT64_MIN,
                              .qty        = order->qty,
                              .ask        = ask,
                              .owner      = order->owner,
                              .stp        = (stp_t)order->stp};
    const bool     meets   = taker_level(&taker, NULL) != NIL;
    const bool     runs    = meets && (order->tif != TIF_FOK || taker_fills(clob, &taker));
    if (order->post_only && meets) {
        return ERR_CROSSED;
    }
    if (runs && !taker_has_room(clob, &taker, out->cap) && !taker_fits(clob, &taker, out->cap)) {
        return ERR_FULL;
    }
    out->count   = 0;
    out->stopped = false;
    if (runs) {
        taker_run(clob, &taker, out);
    }
    out->leaves_qty = taker.qty;
    out->resting    = limit && (order->tif == TIF_GTC || order->tif == TIF_DAY) && taker.qty > 0 && !out->stopped;
    out->row        = CLOB_NONE;
    if (out->resting) { /* what it took has left a row */
        out->row = order_enter(clob, order, !ask, key, hash, taker.qty);
    }
    return ERR_OK;
}

static __attribute__((noinline)) err_t refuse_id(uint64_t id)
{
    return err_set(ERR_EXISTS, "clob: order %llu rests in the book already", (unsigned long long)id);
}

static __attribute__((noinline)) err_t refuse_row(const clob_t *clob)
{
    return err_set(ERR_LIMIT, "clob: %u orders rest in the book, which is its limit", clob->cfg.orders_max);
}

err_t clob_submit(clob_t *clob, const clob_order_t *order, clob_out_t *out)
{
    const unsigned  buy     = order->side == SIDE_BUY;
    const ladder_t *ladder  = clob_ladder(clob, !buy);
    const ladder_t *against = clob_ladder(clob, buy);
    const uint64_t  key     = ladder_key(ladder, order->px);
    const err_t     err     = check_order(ladder, order, key);
    if (__builtin_expect(err != ERR_OK, 0)) {
        return err;
    }
    const uint32_t hash = index_hash(order->id);
    if (__builtin_expect(index_find(clob, order->id, hash) != NULL, 0)) {
        return refuse_id(order->id);
    }
    const bool rests = order->ord_type == ORD_TYPE_LIMIT && (order->tif == TIF_GTC || order->tif == TIF_DAY);
    if (!rests || ladder_reaches(against, order->px)) {
        return submit_taker(clob, order, key, hash, out);
    }
    if (__builtin_expect(clob->free_row == NIL, 0)) {
        return refuse_row(clob);
    }
    out->count      = 0;
    out->stopped    = false;
    out->leaves_qty = order->qty;
    out->resting    = true;
    out->row        = order_enter(clob, order, !buy, key, hash, order->qty);
    return ERR_OK;
}

static inline uint32_t clob_row(const clob_t *clob, uint64_t id)
{
    const uint32_t *entry = index_find(clob, id, index_hash(id)); /* 0 is the id of no order that rests */
    return entry == NULL ? NIL : (*entry & ENTRY_ROW) - 1;
}

err_t clob_cancel(clob_t *clob, uint64_t id, int64_t *leaves_qty)
{
    uint32_t *entry = index_find(clob, id, index_hash(id));
    if (__builtin_expect(entry == NULL, 0)) {
        return ERR_NOT_FOUND;
    }
    const uint32_t     row  = (*entry & ENTRY_ROW) - 1;
    const clob_node_t *node = clob_node(clob, row);
    *leaves_qty             = node->qty + hidden_qty(clob, node, row);
    queue_unlink(clob, node);
    order_free(clob, row, entry);
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
    clob_node_t    *node   = clob_node(clob, row);
    const unsigned  ask    = node->place & PLACE_ASK;
    const ladder_t *ladder = clob_ladder(clob, ask);
    const uint64_t  key    = ladder_key(ladder, change->px);
    if (!px_good(ladder, change->px, key)) {
        return refuse_px(ladder, change->px);
    }
    if (change->stp > STP_DECREMENT) {
        return err_set(ERR_ARG, "clob: replace of %llu with stp %u, limit %u", (unsigned long long)change->id,
                       change->stp, STP_DECREMENT);
    }
    const int64_t all = node->qty + hidden_qty(clob, node, row);
    if (node_level(clob, node)->px == change->px && change->leaves_qty <= all) {
        order_reduce(clob, row, all - change->leaves_qty);
        out->count      = 0;
        out->leaves_qty = change->leaves_qty;
        out->row        = row;
        out->resting    = true;
        out->stopped    = false;
        return ERR_OK;
    }
    ladder_t  *against = clob_ladder(clob, !ask);
    taker_t    taker   = {.against    = against,
                          .limit_rank = ladder_rank(against, change->px),
                          .qty        = change->leaves_qty,
                          .ask        = !ask,
                          .owner      = node->owner,
                          .stp        = (stp_t)change->stp};
    const bool meets   = taker_level(&taker, NULL) != NIL;
    if (change->post_only && meets) {
        return ERR_CROSSED;
    }
    if (meets && !taker_has_room(clob, &taker, out->cap) && !taker_fits(clob, &taker, out->cap)) {
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
        order_rest(clob, row, ask, change->px, key, taker.qty, display_qty);
    } else {
        order_free(clob, row, index_entry(clob, index_hash(change->id), row));
    }
    return ERR_OK;
}

/* ---- a batch ahead ------------------------------------------------------------------------------------------------ */

/* always_inline: to gcc 12 a function of its own that does nothing but this does nothing at all, and calls of it go.
 *
 * Of an order to cancel: its bucket, then the order, then what its queue links it to. Orders behind others in their
 * bucket are not followed. */
static inline __attribute__((always_inline)) void prefetch_resting(const clob_t *clob, uint64_t id, unsigned round)
{
    const uint32_t *bucket = index_bucket(clob, index_hash(id));
    const uint32_t  row    = round == 1 ? NIL : (*bucket & ENTRY_ROW) - 1;
    if (round == 1) {
        __builtin_prefetch(bucket, 1);
    } else if (round == 2 && row != NIL) {
        __builtin_prefetch(clob_node(clob, row), 1);
        __builtin_prefetch(index_chain(clob, row));
    } else if (row != NIL) {
        const clob_node_t *node = clob_node(clob, row);
        __builtin_prefetch(node_level(clob, node), 1);
        __builtin_prefetch(clob_node(clob, node->next), 1);
        __builtin_prefetch(clob_node(clob, node->prev), 1);
    }
}

/* Of an order to come: its bucket, both ladders and the row that it will get, then its price, then its level. */
static inline __attribute__((always_inline)) void prefetch_coming(const clob_t *clob, uint64_t id, side_t side,
                                                                  int64_t px, unsigned round)
{
    const ladder_t *ladder = clob_ladder(clob, side == SIDE_SELL);
    if (round == 1) {
        __builtin_prefetch(index_bucket(clob, index_hash(id)), 1);
        __builtin_prefetch(ladder, 1);
        __builtin_prefetch(clob_ladder(clob, side != SIDE_SELL));
        __builtin_prefetch(clob_node(clob, clob->free_row), 1);
        __builtin_prefetch(index_chain(clob, clob->free_row), 1);
    } else if (round == 2) {
        __builtin_prefetch(ladder_slot(ladder, ladder_key(ladder, px)));
    } else {
        const uint32_t at = ladder_find_near(ladder, ladder_key(ladder, px));
        if (at != LADDER_NONE) {
            __builtin_prefetch(ladder_level(ladder, at), 1);
        }
    }
}

void clob_prefetch(const clob_t *clob, uint64_t id, side_t side, int64_t px, unsigned round)
{
    if (round == 0) {
        __builtin_prefetch(clob, 1);
    } else if (side != SIDE_BUY && side != SIDE_SELL) {
        prefetch_resting(clob, id, round);
    } else {
        prefetch_coming(clob, id, side, px, round);
    }
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
    if (!link_ends(clob, node->next)) {
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
    const uint32_t  at     = px_good(ladder, px, ladder_key(ladder, px)) ? ladder_find(ladder, px) : LADDER_NONE;
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
    while (!link_ends(clob, row = clob_node(clob, row)->prev)) {
        ahead += clob_node(clob, row)->qty;
    }
    return ahead;
}

uint32_t clob_count(const clob_t *clob, side_t side)
{
    return clob->count[side == SIDE_SELL];
}

_Static_assert(sizeof(clob_node_t) == 32, "two rows a cache line");
_Static_assert(sizeof(clob_node_t) == sizeof(ladder_level_t) &&
                   offsetof(clob_node_t, next) == offsetof(ladder_level_t, head) &&
                   offsetof(clob_node_t, prev) == offsetof(ladder_level_t, tail),
               "a level is a link of its queue");
_Static_assert(sizeof(clob_t) == 64, "the orders follow, and every level is a multiple of 32 bytes from there");
_Static_assert((uint64_t)CLOB_QTY_MAX *CLOB_ORDERS_MAX <= INT64_MAX, "the sum of a level fits");
_Static_assert(CLOB_PX_MAX == LADDER_PX_LIMIT, "a ladder takes every price");
