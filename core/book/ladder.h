/* ladder: the levels of ONE side of a book, found by price and in order of price, whatever the prices are.
 *
 *     px ─▶ key = the tick's number, larger is better (asks: its complement, so that the side is data, not a branch)
 *
 *         worse                                             best
 *     ┄┄┄ deep ┄┄┄│ base ◀────────── window_ticks ─────────▶│┄┄┄ high ┄┄┄
 *       a tree    │ ring[key & mask] = row    bits0 bits1 bits2 │    a tree
 *                 │
 *     odd: a third tree, of prices that are no multiple of the tick, anywhere
 *
 *     row ─▶ levels[row] {px, qty, count, head, tail}       links[row] {worse, better}: its place in a tree
 *
 * Rows     a level keeps its row as long as it lives; rows are recycled last in, first out. qty, count, head and tail are
 *          the owner's (a level begins with 0, 0 and LADDER_NONE twice); px is ours. An empty level stays until
 *          ladder_drop: that is the owner's call.
 * Window   a ring of ticks that begins at key base, always a multiple of 64. It follows the best price by changing base
 *          only, nothing that stays in it moves: the best price then stands at 3/4, levels that fall off go to the trees
 *          deep (worse than the window) and high (better), levels of these that fit come in.
 *          It follows when the best price is better than the window, in its lowest eighth, or worse than it; not at once
 *          but when more calls have met that than there are levels: a price that comes and goes far from
 *          all others (a crash, a stray order) costs O(log levels) each time, never O(levels).
 * Tick     when it is not known (tick 0) it is learned: the greatest common divisor of all prices since the last clear. A
 *          price that makes it smaller costs O(levels), once for each time that it can be halved.
 * Trees    treaps by price, their heap order a hash of the price: the shape follows from the contents alone, so equal
 *          contents give an equal tree by whatever path, and no order of arrival makes them slow.
 * Cost     find and take in the window: one multiplication and one line of the ring. A level that comes or goes there: two
 *          or three words of bits. In a tree: O(log levels). A slide: O(log levels) for each level that it
 *          moves; spread over the calls before it, O(log levels) a call.
 * Memory   one block, the caller's; offsets, no pointers: its bytes are a snapshot. 4 bytes a tick, 40 a level.
 * Threads  one. No time, no I/O.
 * Limits   |px| < 2^62; tick 1..2^44, or 0: learned; window_ticks a power of two, 256..65536;
 *          levels_max 1..2^24. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"
#include "core/types/msg.h"

#define LADDER_NONE UINT32_MAX
#define LADDER_PX_LIMIT (INT64_C(1) << 62) /* |px| is below it */
#define LADDER_TICK_MAX (INT64_C(1) << 44)
#define LADDER_WINDOW_MIN 256u
#define LADDER_WINDOW_MAX 65536u
#define LADDER_LEVELS_MAX (1u << 24)

typedef struct ladder_cfg {
    int64_t  tick;         /* prices are counted from 0 in it; 0 = to be learned */
    uint32_t window_ticks; /* power of two */
    uint32_t levels_max;
    side_t   side; /* BUY: the highest price is the best; SELL: the lowest */
} ladder_cfg_t;

typedef struct ladder_level {
    int64_t  px;  /* not to be written */
    int64_t  qty; /* this and the rest: the owner's */
    uint32_t head;
    uint32_t tail;
    uint32_t count;
    uint32_t reserved;
} ladder_level_t;

typedef struct ladder_link { /* of a level in a tree */
    uint32_t worse;
    uint32_t better;
} ladder_link_t;

typedef struct ladder {         /* private, as all of it */
    _Alignas(64) uint64_t base; /* key of the window's first tick */
    uint64_t inverse;           /* of the tick's odd part, modulo 2^64 */
    uint64_t bias;              /* a multiple of the tick, added to a price: no price is below 0 then */
    uint64_t flip;              /* 0 for bids, all ones for asks */
    int64_t  best_rank;         /* of the best level; INT64_MIN when there is none */
    uint32_t best;              /* its row */
    uint32_t mask;              /* window_ticks - 1 */
    uint16_t shift;             /* zero bits at the tick's low end */
    bool     learns;            /* the tick */
    uint32_t ring_at;           /* bytes from here */
    uint32_t levels_at;
    uint32_t odd; /* root of the tree */

    uint64_t bits2;     /* bit i: bits1[i] is not zero. 0: the window is empty */
    uint64_t count_max; /* of ticks: a key's number above it is a price between two ticks */
    uint64_t tick;      /* 0: not learned yet */
    uint64_t divisor;   /* of all prices so far; where the tick is given: that */
    uint32_t deep;      /* root of the tree */
    uint32_t high;      /* root of the tree */
    uint32_t patience;  /* calls since the last slide that one would have helped */
    uint32_t links_at;
    uint32_t count;
    uint32_t levels_max;
    uint32_t free_row;  /* levels[free_row].head is the next; LADDER_NONE = none */
    uint32_t rows_seen; /* rows at and above were never used */
} ladder_t;

static_assert(sizeof(ladder_t) == 128,
              "two lines: what every message needs, and what a level needs that comes or goes");

/* ladder_footprint: of the block (aligned to 64); 0 and a sentence when cfg is out of its limits.
 * ladder_new: an empty ladder at mem; NULL likewise. ladder_clear: no levels. Both O(window_ticks). */
size_t    ladder_footprint(const ladder_cfg_t *cfg);
ladder_t *ladder_new(void *mem, const ladder_cfg_t *cfg);
void      ladder_clear(ladder_t *ladder);

/* The level of a row that lives. */
static inline ladder_level_t *ladder_level(const ladder_t *ladder, uint32_t row)
{
    return (ladder_level_t *)((uintptr_t)ladder + ladder->levels_at) + row;
}

/* ladder_rank: prices as numbers of which the larger is the better. Its own inverse. */
static inline int64_t ladder_rank(const ladder_t *ladder, int64_t px)
{
    return px ^ (int64_t)ladder->flip;
}

static inline uint32_t *ladder_slot(const ladder_t *ladder, uint64_t key)
{
    return (uint32_t *)((uintptr_t)ladder + ladder->ring_at) + (key & ladder->mask);
}

/* px / tick without a division, and proof that nothing remains: for odd d, x * d^-1 (mod 2^64) is x / d when d divides
 * x, and above (2^64 - 1) / d for any other x; the rotation does the same for the even part (Granlund and Montgomery
 * 1994, section 9). A price between two ticks gets a key that no window reaches. */
static inline uint64_t ladder_key(const ladder_t *ladder, int64_t px)
{
    const uint64_t product = ((uint64_t)px + ladder->bias) * ladder->inverse;
    return (product >> ladder->shift | product << (-ladder->shift & 63)) ^ ladder->flip;
}

/* ladder_on_tick: is px a multiple of the tick? */
static inline bool ladder_on_tick(const ladder_t *ladder, int64_t px)
{
    return (ladder_key(ladder, px) ^ ladder->flip) <= ladder->count_max;
}

static inline bool ladder_near(const ladder_t *ladder, uint64_t key)
{
    return key - ladder->base <= ladder->mask;
}

/* What follows the inline ways below; not to be called by others. */
uint32_t ladder_find_far(const ladder_t *ladder, int64_t px);
uint32_t ladder_take_far(ladder_t *ladder, int64_t px);
uint32_t ladder_add_near(ladder_t *ladder, uint64_t key, int64_t px);

/* ladder_find: the row of the level at px; LADDER_NONE when there is none. |px| < LADDER_PX_LIMIT, here and below. */
static inline uint32_t ladder_find(const ladder_t *ladder, int64_t px)
{
    const uint64_t key = ladder_key(ladder, px);
    return __builtin_expect(ladder_near(ladder, key), 1) ? *ladder_slot(ladder, key) : ladder_find_far(ladder, px);
}

/* ladder_find_near: the row of the level of a key (ladder_key) when it lies in the window; LADDER_NONE otherwise. */
static inline uint32_t ladder_find_near(const ladder_t *ladder, uint64_t key)
{
    return __builtin_expect(ladder_near(ladder, key), 1) ? *ladder_slot(ladder, key) : LADDER_NONE;
}

/* ladder_reaches: is there a level at px or better? */
static inline bool ladder_reaches(const ladder_t *ladder, int64_t px)
{
    return ladder->best_rank >= ladder_rank(ladder, px);
}

/* ladder_take: the row of the level at px, made when there is none; LADDER_NONE, and nothing changed, when it would be
 * one more than levels_max. */
static inline uint32_t ladder_take(ladder_t *ladder, int64_t px)
{
    const uint64_t key = ladder_key(ladder, px);
    if (__builtin_expect(!ladder_near(ladder, key), 0)) {
        return ladder_take_far(ladder, px);
    }
    const uint32_t row = *ladder_slot(ladder, key);
    return __builtin_expect(row != LADDER_NONE, 1) ? row : ladder_add_near(ladder, key, px);
}

/* ladder_drop: the level is no more; its row must live. */
void ladder_drop(ladder_t *ladder, uint32_t row);

/* ladder_best: the row of the best level; LADDER_NONE when there is none. O(1).
 * ladder_worse: the row of the best level that is worse than px, which need have no level. Walking a side:
 *     for (uint32_t row = ladder_best(l); row != LADDER_NONE; row = ladder_worse(l, ladder_level(l, row)->px)) { ... }
 * ~3 ns a level in the window. */
static inline uint32_t ladder_best(const ladder_t *ladder)
{
    return ladder->best;
}
uint32_t ladder_worse(const ladder_t *ladder, int64_t px);

/* ladder_count: levels. */
static inline uint32_t ladder_count(const ladder_t *ladder)
{
    return ladder->count;
}
