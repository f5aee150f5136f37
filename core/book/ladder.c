#include "core/book/ladder.h"

#include <string.h>

#define NIL LADDER_NONE

/* ---- where things lie -------------------------------------------------------------------------------------------- */

static inline uint64_t *bits0_of(const ladder_t *l)
{
    return (uint64_t *)((uintptr_t)l + l->ring_at + ((size_t)l->mask + 1) * sizeof(uint32_t));
}
static inline uint64_t *bits1_of(const ladder_t *l)
{
    return bits0_of(l) + (l->mask + 1) / 64;
}
static inline ladder_link_t *links_of(const ladder_t *l)
{
    return (ladder_link_t *)((uintptr_t)l + l->links_at);
}
static inline uint32_t *ring_of(const ladder_t *l)
{
    return (uint32_t *)((uintptr_t)l + l->ring_at);
}
static inline uint64_t window_of(const ladder_t *l)
{
    return (uint64_t)l->mask + 1;
}

static size_t bits0_words(uint32_t window)
{
    return window / 64;
}
static size_t bits1_words(uint32_t window)
{
    return (window / 64 + 63) / 64;
}

/* The head, the ring, the bits, to a whole line; then levels; then links, to a whole line. */
static size_t levels_offset(uint32_t window)
{
    const size_t bytes =
        sizeof(ladder_t) + window * sizeof(uint32_t) + (bits0_words(window) + bits1_words(window)) * sizeof(uint64_t);
    return (bytes + 63) & ~(size_t)63;
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

size_t ladder_footprint(const ladder_cfg_t *cfg)
{
    const uint32_t window = cfg->window_ticks;
    if (cfg->tick < 0 || cfg->tick > LADDER_TICK_MAX) {
        err_set(ERR_ARG, "ladder: tick is %lld, limit 0..2^44", (long long)cfg->tick);
        return 0;
    }
    if (window < LADDER_WINDOW_MIN || window > LADDER_WINDOW_MAX || (window & (window - 1)) != 0) {
        err_set(ERR_ARG, "ladder: window_ticks is %u, limit a power of two in %u..%u", window, LADDER_WINDOW_MIN,
                LADDER_WINDOW_MAX);
        return 0;
    }
    if (cfg->levels_max == 0 || cfg->levels_max > LADDER_LEVELS_MAX) {
        err_set(ERR_ARG, "ladder: %u levels, limit 1..%u", cfg->levels_max, LADDER_LEVELS_MAX);
        return 0;
    }
    if (cfg->side != SIDE_BUY && cfg->side != SIDE_SELL) {
        err_set(ERR_ARG, "ladder: side is %d, limit 1..2", (int)cfg->side);
        return 0;
    }
    const size_t bytes =
        levels_offset(window) + (size_t)cfg->levels_max * (sizeof(ladder_level_t) + sizeof(ladder_link_t));
    return (bytes + 63) & ~(size_t)63;
}

/* 0: none, all prices are odd. */
static void tick_set(ladder_t *l, uint64_t tick)
{
    const unsigned shift   = tick == 0 ? 0 : (unsigned)__builtin_ctzll(tick);
    const uint64_t odd     = tick >> shift;
    uint64_t       inverse = odd; /* right to 3 bits, and each Newton step doubles them */
    for (unsigned step = 0; step < 5; step++) {
        inverse *= 2 - odd * inverse;
    }
    l->tick      = tick;
    l->inverse   = inverse;
    l->shift     = (uint16_t)shift;
    l->count_max = tick == 0 ? 0 : UINT64_MAX / tick;
    /* a window's length below the lowest price and above the highest, so that no base wraps */
    l->bias = tick == 0 ? 0 : ((uint64_t)LADDER_PX_LIMIT / tick + 1 + window_of(l)) * tick;
}

/* Where a window begins that has key at three quarters, or up to 63 ticks above. */
static uint64_t base_for(const ladder_t *l, uint64_t key)
{
    return (key - window_of(l) / 4 * 3) & ~(uint64_t)63;
}

void ladder_clear(ladder_t *ladder)
{
    if (ladder->learns) {
        ladder->divisor = 0;
        tick_set(ladder, 0);
    }
    memset(ring_of(ladder), 0xFF, window_of(ladder) * sizeof(uint32_t));
    memset(bits0_of(ladder), 0, bits0_words(ladder->mask + 1) * sizeof(uint64_t));
    memset(bits1_of(ladder), 0, bits1_words(ladder->mask + 1) * sizeof(uint64_t));
    /* No price between two ticks has its key there; without a tick no price at all. */
    ladder->base      = ladder->tick == 0 ? UINT64_C(1) << 63 : base_for(ladder, ladder_key(ladder, 0));
    ladder->bits2     = 0;
    ladder->best      = NIL;
    ladder->best_rank = INT64_MIN;
    ladder->deep      = NIL;
    ladder->high      = NIL;
    ladder->patience  = 0;
    ladder->odd       = NIL;
    ladder->count     = 0;
    ladder->free_row  = NIL;
    ladder->rows_seen = 0;
}

ladder_t *ladder_new(void *mem, const ladder_cfg_t *cfg)
{
    const size_t bytes = ladder_footprint(cfg);
    if (bytes == 0) {
        return NULL;
    }
    const uint32_t window = cfg->window_ticks;
    ladder_t      *ladder = memset(mem, 0, bytes);
    *ladder               = (ladder_t){.flip       = cfg->side == SIDE_SELL ? UINT64_MAX : 0,
                                       .mask       = window - 1,
                                       .ring_at    = sizeof(ladder_t),
                                       .levels_at  = (uint32_t)levels_offset(window),
                                       .learns     = cfg->tick == 0,
                                       .levels_max = cfg->levels_max};
    ladder->links_at      = ladder->levels_at + cfg->levels_max * (uint32_t)sizeof(ladder_level_t);
    tick_set(ladder, (uint64_t)cfg->tick);
    ladder_clear(ladder);
    return ladder;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------ */

static uint32_t row_new(ladder_t *l, int64_t px)
{
    assert(px > -LADDER_PX_LIMIT && px < LADDER_PX_LIMIT);
    uint32_t row = l->free_row;
    if (row != NIL) {
        l->free_row = ladder_level(l, row)->head;
    } else if (l->rows_seen < l->levels_max) {
        row = l->rows_seen++;
    } else {
        return NIL;
    }
    *ladder_level(l, row) = (ladder_level_t){.px = px, .head = NIL, .tail = NIL};
    l->count++;
    return row;
}

static void row_free(ladder_t *l, uint32_t row)
{
    ladder_level(l, row)->head = l->free_row;
    l->free_row                = row;
    l->count--;
}

/* ---- the trees --------------------------------------------------------------------------------------------------------- */

static inline int64_t row_rank(const ladder_t *l, uint32_t row)
{
    return ladder_rank(l, ladder_level(l, row)->px);
}

/* The heap order: a bijection of the price, so that two levels are never equal in it. */
static inline uint64_t row_weight(const ladder_t *l, uint32_t row)
{
    uint64_t z = (uint64_t)ladder_level(l, row)->px * 0x9e3779b97f4a7c15u;
    z          = (z ^ z >> 32) * 0xd6e8feb86659fd93u;
    return z ^ z >> 32;
}

static uint32_t tree_find(const ladder_t *l, uint32_t row, int64_t px)
{
    const int64_t rank = ladder_rank(l, px);
    while (row != NIL) {
        const int64_t here = row_rank(l, row);
        if (here == rank) {
            break;
        }
        row = here > rank ? links_of(l)[row].worse : links_of(l)[row].better;
    }
    return row;
}

/* The best level whose rank is below rank: of the whole tree with INT64_MAX. */
static uint32_t tree_below(const ladder_t *l, uint32_t row, int64_t rank)
{
    uint32_t found = NIL;
    while (row != NIL) {
        if (row_rank(l, row) < rank) {
            found = row;
            row   = links_of(l)[row].better;
        } else {
            row = links_of(l)[row].worse;
        }
    }
    return found;
}

/* Down to where the weights say it belongs; what was there is split by rank into its two children. */
static void tree_put(ladder_t *l, uint32_t *root, uint32_t row)
{
    ladder_link_t *links  = links_of(l);
    const int64_t  rank   = row_rank(l, row);
    const uint64_t weight = row_weight(l, row);
    uint32_t      *at     = root;
    while (*at != NIL && row_weight(l, *at) > weight) {
        at = row_rank(l, *at) > rank ? &links[*at].worse : &links[*at].better;
    }
    uint32_t  rest   = *at;
    uint32_t *worse  = &links[row].worse;
    uint32_t *better = &links[row].better;
    *at              = row;
    while (rest != NIL) {
        if (row_rank(l, rest) < rank) {
            *worse = rest;
            worse  = &links[rest].better;
            rest   = *worse;
        } else {
            *better = rest;
            better  = &links[rest].worse;
            rest    = *better;
        }
    }
    *worse  = NIL;
    *better = NIL;
}

/* Its two children become one tree in its place. */
static void tree_take(ladder_t *l, uint32_t *root, uint32_t row)
{
    ladder_link_t *links = links_of(l);
    const int64_t  rank  = row_rank(l, row);
    uint32_t      *at    = root;
    while (*at != row) {
        assert(*at != NIL);
        at = row_rank(l, *at) > rank ? &links[*at].worse : &links[*at].better;
    }
    uint32_t worse  = links[row].worse;
    uint32_t better = links[row].better;
    while (worse != NIL && better != NIL) {
        if (row_weight(l, worse) > row_weight(l, better)) {
            *at   = worse;
            at    = &links[worse].better;
            worse = *at;
        } else {
            *at    = better;
            at     = &links[better].worse;
            better = *at;
        }
    }
    *at = worse != NIL ? worse : better;
}

/* ---- the window -------------------------------------------------------------------------------------------------------- */

static inline uint32_t bit_highest(uint64_t word)
{
    return 63 - (uint32_t)__builtin_clzll(word);
}

static bool on_tick(const ladder_t *l, uint64_t key)
{
    return l->tick != 0 && (key ^ l->flip) <= l->count_max;
}

static void near_put(ladder_t *l, uint64_t key, uint32_t row)
{
    const uint32_t pos   = (uint32_t)key & l->mask;
    uint64_t      *bits0 = &bits0_of(l)[pos >> 6];
    ring_of(l)[pos]      = row;
    if (*bits0 == 0) {
        bits1_of(l)[pos >> 12] |= UINT64_C(1) << (pos >> 6 & 63);
        l->bits2 |= UINT64_C(1) << (pos >> 12);
    }
    *bits0 |= UINT64_C(1) << (pos & 63);
}

static void near_take(ladder_t *l, uint64_t key)
{
    const uint32_t pos   = (uint32_t)key & l->mask;
    uint64_t      *bits0 = &bits0_of(l)[pos >> 6];
    uint64_t      *bits1 = &bits1_of(l)[pos >> 12];
    ring_of(l)[pos]      = NIL;
    *bits0 &= ~(UINT64_C(1) << (pos & 63));
    if (*bits0 == 0) {
        *bits1 &= ~(UINT64_C(1) << (pos >> 6 & 63));
        if (*bits1 == 0) {
            l->bits2 &= ~(UINT64_C(1) << (pos >> 12));
        }
    }
}

/* The word of bits0 that holds something and lies next below word, going round. */
static uint32_t word_below(const ladder_t *l, uint32_t word)
{
    const uint64_t *bits1 = bits1_of(l);
    uint64_t        bits  = bits1[word >> 6] & ((UINT64_C(1) << (word & 63)) - 1);
    uint32_t        high  = word >> 6;
    if (bits == 0) {
        const uint64_t bits2 = l->bits2 & ((UINT64_C(1) << high) - 1);
        high                 = bit_highest(bits2 != 0 ? bits2 : l->bits2);
        bits                 = bits1[high];
    }
    return high << 6 | bit_highest(bits);
}

/* The best level of the window whose key is below end, which is base or above. Words better than end's come last on the
 * way round, so what is found there is no answer. With an end beyond the window: any of its levels. */
static uint32_t near_below(const ladder_t *l, uint64_t end)
{
    if (l->bits2 == 0) {
        return NIL;
    }
    const uint64_t *bits0 = bits0_of(l);
    const uint32_t  at    = (uint32_t)end & l->mask;
    uint32_t        word  = at >> 6;
    uint64_t        bits  = bits0[word] & ((UINT64_C(1) << (at & 63)) - 1);
    if (bits == 0) {
        word = word_below(l, word);
        bits = bits0[word];
    }
    const uint32_t pos = word << 6 | bit_highest(bits);
    const uint64_t key = l->base + ((pos - l->base) & l->mask);
    return key < end ? ring_of(l)[pos] : NIL;
}

static uint64_t row_key(const ladder_t *l, uint32_t row)
{
    return ladder_key(l, ladder_level(l, row)->px);
}

/* The worst level of a tree; NIL when it is empty. */
static uint32_t tree_worst(const ladder_t *l, uint32_t row)
{
    while (row != NIL && links_of(l)[row].worse != NIL) {
        row = links_of(l)[row].worse;
    }
    return row;
}

/* The window moves to where key stands at 3/4: what falls off goes to its tree, what fits comes in. */
static void slide(ladder_t *l, uint64_t key)
{
    const uint64_t before = l->base;
    const uint64_t base   = base_for(l, key);
    const uint64_t over   = base + window_of(l);
    const uint64_t end    = before + window_of(l);
    uint32_t       row;
    while ((row = near_below(l, base < before ? before : (base < end ? base : end))) != NIL) {
        near_take(l, row_key(l, row));
        tree_put(l, &l->deep, row);
    }
    while ((row = near_below(l, end)) != NIL && row_key(l, row) >= over) {
        near_take(l, row_key(l, row));
        tree_put(l, &l->high, row);
    }
    l->base = base;
    while ((row = tree_below(l, l->deep, INT64_MAX)) != NIL && row_key(l, row) >= base) {
        const bool fits = row_key(l, row) < over;
        tree_take(l, &l->deep, row);
        if (fits) {
            near_put(l, row_key(l, row), row);
        } else {
            tree_put(l, &l->high, row);
        }
    }
    while ((row = tree_worst(l, l->high)) != NIL && row_key(l, row) < over) {
        const bool fits = row_key(l, row) >= base;
        tree_take(l, &l->high, row);
        if (fits) {
            near_put(l, row_key(l, row), row);
        } else {
            tree_put(l, &l->deep, row);
        }
    }
    l->patience = 0;
}

/* key is the best price: does the window follow it now? */
static void follow(ladder_t *l, uint64_t key)
{
    if (on_tick(l, key) && (!ladder_near(l, key) || key - l->base < window_of(l) / 8)) {
        l->patience++;
        if (l->patience > l->count) {
            slide(l, key);
        }
    }
}

/* The best level after one is gone; end: no level of the window has that key or a better one. */
static void settle(ladder_t *l, uint64_t end)
{
    uint32_t best = tree_below(l, l->high, INT64_MAX);
    best          = best == NIL ? near_below(l, end) : best;
    best          = best == NIL ? tree_below(l, l->deep, INT64_MAX) : best;
    if (best != NIL) {
        follow(l, row_key(l, best));
    }
    int64_t rank = best != NIL ? row_rank(l, best) : INT64_MIN;
    if (l->odd != NIL) {
        const uint32_t odd = tree_below(l, l->odd, INT64_MAX);
        if (row_rank(l, odd) > rank) {
            best = odd;
            rank = row_rank(l, odd);
        }
    }
    l->best      = best;
    l->best_rank = rank;
}

/* A tick that divides the one before: no level changes its place in the order, and those of deep stay where they are. */
static void tick_change(ladder_t *l, uint64_t tick)
{
    while (l->bits2 != 0) {
        const uint32_t row = near_below(l, l->base + window_of(l));
        near_take(l, row_key(l, row));
        tree_put(l, &l->deep, row);
    }
    tick_set(l, tick);
    while (l->high != NIL) {
        const uint32_t row = l->high;
        tree_take(l, &l->high, row);
        tree_put(l, &l->deep, row);
    }
    l->base     = UINT64_MAX - window_of(l); /* above every key: all of deep is worse */
    l->patience = l->count;                  /* and the next call slides */
    for (uint32_t row = tree_below(l, l->odd, INT64_MAX); row != NIL; row = tree_below(l, l->odd, INT64_MAX)) {
        tree_take(l, &l->odd, row);
        tree_put(l, &l->deep, row);
    }
    settle(l, l->base + window_of(l));
}

/* px lies between two ticks, or there is no tick yet. */
static void tick_learn(ladder_t *l, int64_t px)
{
    uint64_t rest = (uint64_t)(px < 0 ? -px : px);
    while (rest != 0) {
        const uint64_t next = l->divisor % rest;
        l->divisor          = rest;
        rest                = next;
    }
    if (l->divisor > 0 && l->divisor <= (uint64_t)LADDER_TICK_MAX) {
        tick_change(l, l->divisor);
    }
}

/* ---- what owners call -------------------------------------------------------------------------------------------------- */

static uint32_t best_at_least(ladder_t *l, uint32_t row)
{
    if (row_rank(l, row) > l->best_rank) {
        l->best      = row;
        l->best_rank = row_rank(l, row);
    }
    return row;
}

/* The tree of a price that is not in the window. */
static uint32_t *tree_of(ladder_t *l, uint64_t key)
{
    return !on_tick(l, key) ? &l->odd : (key < l->base ? &l->deep : &l->high);
}

uint32_t ladder_find_far(const ladder_t *ladder, int64_t px)
{
    const uint64_t key = ladder_key(ladder, px);
    return tree_find(ladder, !on_tick(ladder, key) ? ladder->odd : (key < ladder->base ? ladder->deep : ladder->high),
                     px);
}

uint32_t ladder_add_near(ladder_t *ladder, uint64_t key, int64_t px)
{
    const uint32_t row = row_new(ladder, px);
    if (row == NIL) {
        return NIL;
    }
    near_put(ladder, key, row);
    return best_at_least(ladder, row);
}

uint32_t ladder_take_far(ladder_t *ladder, int64_t px)
{
    const uint32_t found = ladder_find_far(ladder, px);
    if (found != NIL) {
        follow(ladder, row_key(ladder, ladder->best));
        return found;
    }
    if (ladder->count == ladder->levels_max) {
        return NIL;
    }
    if (ladder->learns && !on_tick(ladder, ladder_key(ladder, px))) {
        tick_learn(ladder, px);
    }
    const uint64_t key = ladder_key(ladder, px);
    const bool     on  = on_tick(ladder, key);
    if (on && ladder->bits2 == 0 && ladder->deep == NIL && ladder->high == NIL) {
        ladder->base = base_for(ladder, key);
    }
    if (on && ladder_near(ladder, key)) {
        return ladder_add_near(ladder, key, px);
    }
    const uint32_t row = row_new(ladder, px);
    tree_put(ladder, tree_of(ladder, key), row);
    best_at_least(ladder, row);
    follow(ladder, row_key(ladder, ladder->best));
    return row;
}

void ladder_drop(ladder_t *ladder, uint32_t row)
{
    const uint64_t key = row_key(ladder, row);
    uint64_t       end = ladder->base + window_of(ladder);
    if (ladder_near(ladder, key)) {
        assert(*ladder_slot(ladder, key) == row);
        near_take(ladder, key);
        end = row == ladder->best ? key : end;
    } else {
        tree_take(ladder, tree_of(ladder, key), row);
    }
    row_free(ladder, row);
    if (row == ladder->best) {
        settle(ladder, end);
    }
}

uint32_t ladder_worse(const ladder_t *ladder, int64_t px)
{
    const uint64_t over  = ladder->base + window_of(ladder);
    const int64_t  rank  = ladder_rank(ladder, px);
    uint64_t       end   = ladder_key(ladder, px);
    uint32_t       found = NIL;
    found                = tree_below(ladder, ladder->high, rank);
    if (found == NIL && ladder->bits2 != 0) {
        if (!on_tick(ladder, end)) { /* the number of the first tick that is not worse */
            const uint64_t below = ((uint64_t)px + ladder->bias) / ladder->tick;
            end                  = ladder->flip != 0 ? ~below : below + 1;
        }
        found = end > ladder->base ? near_below(ladder, end < over ? end : over) : NIL;
    }
    if (found == NIL) {
        found = tree_below(ladder, ladder->deep, rank);
    }
    if (ladder->odd != NIL) {
        const uint32_t odd = tree_below(ladder, ladder->odd, rank);
        if (odd != NIL && (found == NIL || row_rank(ladder, odd) > row_rank(ladder, found))) {
            found = odd;
        }
    }
    return found;
}
