/* book: the price levels (L2, market by price) of one instrument, and whether they may be trusted.
 *
 * A book takes BOOK_UPDATE messages (absolute quantities, one venue message in several parts, FIRST and LAST flagged)
 * and FEED_STATE messages, and answers at once: best bid and offer, quantity at a price, levels best first.
 *
 * States   of health, and what moves them:
 *
 *             book_new ──▶ BROKEN/START
 *             BROKEN     ── SNAPSHOT|FIRST ──▶ RECOVERING ── its LAST ──▶ LIVE
 *             LIVE       ── book_age, book_feed(STALE) ──▶ STALE ── next complete message, book_feed(LIVE) ──▶ LIVE
 *             LIVE,STALE ── SNAPSHOT|FIRST (a refresh) ──▶ RECOVERING
 *             LIVE,STALE ── book_feed(RECOVERING) ──▶ RECOVERING, which then waits for a snapshot as BROKEN does
 *             any        ── a fault below, book_feed(BROKEN) ──▶ BROKEN/reason
 *
 *          Only a SNAPSHOT that completes heals a BROKEN book; meanwhile diffs are counted in rpt_seq and not applied.
 *          The levels of a BROKEN book stay as they were at the fault, for a person to look at.
 *
 * Faults   rpt_seq not the last one + 1 (LOST), parts in a wrong order or a quantity or price that cannot be (GARBLED),
 *          a price that is not on the tick table (SCALE), bid >= ask after a complete message (CROSSED), far levels
 *          full (LIMIT). A message that was half applied leaves the book BROKEN, never LIVE with wrong levels.
 *
 * Memory   one block, the caller's; offsets follow from the two sizes in the head, so its bytes are a snapshot:
 *
 *             head | bits1[window/4096] x 2 | bits0[window/64] x 2 | qty[window] x 2 | far[far_slots]{key, qty}
 *
 *          An ordinary update touches the first line of the head, the line of its side, one line of bits0 and one of
 *          qty; with the default window head and bitmaps are 3.2 KiB, so that all but qty is often one page. Bytes of a
 *          block: about 1 KiB + 16.3 * window_ticks + 16 * far_slots: 387 KiB by default; 100 KiB for 4096 and 2048.
 *
 *          A tick index numbers the valid prices; across the bands of a tick table it goes on counting, so that a
 *          window is as dense there. A key is the tick index of a bid, and its complement for an ask: on both sides
 *          the larger key is the better price, and the side is data, not a branch. A window of ticks per side slides
 *          with the best price (three bitmaps find the next level in a few instructions); levels below the window lie
 *          in one open-addressing hash with backward-shift deletion. Whenever a side has levels, its window holds
 *          the best of them, and every far level is worse than every level of the window.
 *
 * Cost     a message of one level ~7 ns with the best read after it, in larger ones ~4 ns a level in the window.
 *          A far level: one hash probe. When the best price leaves
 *          the window upwards, each level of the window is moved once: O(window), 14 us with 3000 levels in it. When
 *          the window runs empty while far levels exist: two passes over the far slots and one move a level,
 *          O(far_slots + window): 70 us with 10,000 far levels. A best price that jumps between two places more than a
 *          window apart pays that at each jump; more is never paid.
 *
 * Threads  one writer; a reader in the same thread. Between the parts of a message book_best() is still that of the
 *          last complete message; the functions that walk levels see the parts applied so far.
 * Units    px, qty of the instrument; mono_ns the monotonic clock of the record.
 * Limits   window_ticks 64..262144 and far_slots 64..16777216, both powers of two; far levels at most 7/8 of the slots;
 *          64 levels a message.
 * Sources  window and bitmaps as measured for this project against trees, hashes and sorted arrays; README.md here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ref/instrument.h"
#include "core/types/err.h"
#include "core/types/msg.h"

#define BOOK_WINDOW_TICKS 8192u /* defaults of book_cfg_t */
#define BOOK_FAR_SLOTS 16384u

typedef struct book_cfg {
    uint32_t window_ticks; /* 0 = default */
    uint32_t far_slots;    /* for both sides together; 0 = default */
} book_cfg_t;

typedef struct book_side { /* private to book.c, as all of book_t: read through the functions. One line: what an update
                              of a level needs */
    _Alignas(64) uint64_t px0; /* price of window position 0; the position of a price is (px - px0) / tick */
    uint64_t inverse;          /* of the tick's odd part, modulo 2^64; of an ask its negative, prices fall there */
    uint64_t shift;            /* zero bits at the tick's low end */
    uint64_t top;              /* window position of the best level; 0, with quantity 0, when the side is empty */
    uint64_t top_word;         /* its quantity is words[top_word] */
    uint64_t qty_word;         /* where in words[] its arrays begin */
    uint64_t bits0_word;
    uint64_t bits1_word;
} book_side_t;

typedef struct book_far { /* of a side: what only a change of its best level, or a level outside the window, needs */
    int64_t  base;        /* key of window position 0 */
    int64_t  lowest;      /* key of the worst price there may be: the window does not reach below it */
    int64_t  top_px;      /* price of the best level; 0 when the side is empty */
    uint64_t bits2;       /* bit i: bits1[i] is not zero. 0: the side is empty */
    uint64_t count;       /* levels in far */
} book_far_t;

typedef struct book {
    _Alignas(64) uint64_t rpt_seq; /* 83: of the last message seen */
    level_t  best[2]; /* bid, ask after the last complete message; px 0 and qty 0 = none. qty: see book_best_qty */
    int64_t  updated_mono_ns;
    uint64_t venue_seq;

    union {
        struct {
            uint8_t expect; /* what the next message must show: where we stand between the parts of messages */
            uint8_t health; /* feed_health_t */
            uint8_t reason; /* feed_reason_t: why it is not LIVE; NONE when it is */
            uint8_t banded; /* 1: several tick bands, and each level goes the slow way */
        };
        uint32_t state; /* all of them, to be compared at once */
    };
    uint8_t  window_log2;
    uint8_t  far_log2;
    uint16_t reserved;

    book_side_t side[2]; /* bids, asks */
    book_far_t  far[2];

    uint64_t     magic;
    int64_t      band_shift[INSTRUMENT_MAX_BANDS]; /* tick index = px / tick of the band + band_shift */
    instrument_t ins;
    _Alignas(64) uint64_t words[]; /* as drawn above */
} book_t;

/* book_align, book_footprint: of the block. footprint is 0, with a sentence, when cfg is out of its limits. */
size_t book_align(void);
size_t book_footprint(const book_cfg_t *cfg);

/* book_new: format mem as an empty book, BROKEN/START. ins is copied; it went through instrument_init.
 * Returns the book, which lies at mem; NULL with a sentence when cfg is out of its limits. Cost: clears the block. */
book_t *book_new(void *mem, const book_cfg_t *cfg, const instrument_t *ins);

/* book_join: the book in a block that was formatted before (an arena restored from a snapshot); NULL with a sentence
 * when the block holds no book. */
book_t *book_join(void *mem);

/* book_apply: fold one part of a venue message into the book.
 *   levels   upd->bid_count bids, then upd->ask_count asks, in any order; qty 0 removes; removing what is not there is
 *            no fault
 *   mono_ns  receive time by the monotonic clock; kept when the message is complete
 * Returns  ERR_OK       applied; after a LAST part the book is LIVE
 *          ERR_AGAIN    not applied: the book waits for a snapshot (an answer, no sentence)
 *          ERR_GAP      BROKEN/LOST: rpt_seq jumped
 *          ERR_STATE    BROKEN/GARBLED: parts in a wrong order          ERR_ARG  BROKEN/GARBLED: over 64 levels
 *          ERR_RANGE    BROKEN/GARBLED: negative quantity; price <= 0 where the instrument forbids it
 *          ERR_SCALE    BROKEN/SCALE: a price between two ticks
 *          ERR_CROSSED  BROKEN/CROSSED: bid >= ask after this message
 *          ERR_LIMIT    BROKEN/LIMIT: no slot for one more far level
 *          each of the last seven with a sentence, once per fault: then ERR_AGAIN until the snapshot.
 * Cost     above; never allocates or blocks. The caller has chosen the book by upd->instrument_id. */
err_t book_apply(book_t *book, const book_update_t *upd, const level_t *levels, int64_t mono_ns);

/* book_prefetch: asks for the lines of the head that book_apply will need; for whoever has a message in hand and something
 * else to do before. */
static inline void book_prefetch(const book_t *book)
{
    __builtin_prefetch(book, 1);
    __builtin_prefetch(&book->side[0], 1);
    __builtin_prefetch(&book->side[1], 1);
    __builtin_prefetch(&book->far[0], 1);
    __builtin_prefetch(&book->far[1], 1);
    __builtin_prefetch(&book->ins.def.allow_negative);
    __builtin_prefetch(&book->ins.bands[0]);
}

/* book_feed: what the adapter says of the feed. BROKEN and RECOVERING take effect at once; STALE only on a LIVE book;
 * LIVE ends STALE and refreshes the age, and heals nothing else.
 * Returns ERR_OK; ERR_ARG for a health or reason that does not exist: the book is BROKEN/GARBLED then. */
err_t book_feed(book_t *book, const feed_state_t *state, int64_t mono_ns);

/* book_age: turn a LIVE book whose last complete message is older than max_age_ns into STALE/AGE; true when it did. */
bool book_age(book_t *book, int64_t mono_ns, int64_t max_age_ns);

/* book_best: best bid and offer after the last complete message; a side that is empty has px 0, qty 0. True when the
 * book is LIVE: else the values are the last that held. O(1). */
#define BOOK_ORDINARY 0x102u /* book_t.state: LIVE, between two messages, one tick band */

static inline int64_t book_best_qty(const book_t *book, size_t s)
{
    return book->state == BOOK_ORDINARY ? (int64_t)book->words[book->side[s].top_word] : book->best[s].qty;
}

static inline bool book_best(const book_t *book, int64_t *bid_px, int64_t *bid_qty, int64_t *ask_px, int64_t *ask_qty)
{
    *bid_px  = book->best[0].px;
    *bid_qty = book_best_qty(book, 0);
    *ask_px  = book->best[1].px;
    *ask_qty = book_best_qty(book, 1);
    return book->health == FEED_LIVE;
}

static inline feed_health_t book_health(const book_t *book)
{
    return (feed_health_t)book->health;
}
static inline feed_reason_t book_reason(const book_t *book)
{
    return (feed_reason_t)book->reason;
}
static inline uint64_t book_rpt_seq(const book_t *book)
{
    return book->rpt_seq;
}
/* book_venue_seq, book_updated_mono_ns: of the last complete message; 0 before the first. */
static inline uint64_t book_venue_seq(const book_t *book)
{
    return book->venue_seq;
}
static inline int64_t book_updated_mono_ns(const book_t *book)
{
    return book->updated_mono_ns;
}

/* book_level_count: levels of a side (SIDE_BUY bids, SIDE_SELL asks), near and far. Cost: a pass over the bitmap, 64
 * words by default; in exchange no level update pays for a count. */
uint32_t book_level_count(const book_t *book, side_t side);

/* book_qty_at: quantity at a price; 0 when there is no level, also when px is no valid price. O(1). */
int64_t book_qty_at(const book_t *book, side_t side, int64_t px);

/* book_levels: the best levels of a side, best first, at most max of them; returns how many.
 * Cost: ~2 ns a level from the window; levels beyond it are picked from far: O(far_slots + far_count * log max). */
uint32_t book_levels(const book_t *book, side_t side, level_t *out, uint32_t max);

/* book_top: the n best levels of both sides, for publication; counts are set to how many there are. bids and asks hold
 * n each; entries beyond the count are set to 0, so that a published record never shows an older one. */
void book_top(const book_t *book, uint32_t n, level_t *bids, uint32_t *bid_count, level_t *asks, uint32_t *ask_count);

/* book_within: may a message have changed the best levels, of which bid_px and ask_px are the last ones shown? True when
 * one of its levels is at or better than these; INT64_MIN, INT64_MAX: that side showed fewer than it could, so any
 * level may be. Of a part of a diff; a snapshot changes everything. Cost: ~1 ns a level up to the first that is. */
bool book_within(const book_update_t *upd, const level_t *levels, int64_t bid_px, int64_t ask_px);

/* book_depth_within: quantity that stands at px_limit or better (bids >= px_limit, asks <= px_limit); px_limit need be
 * no valid price. A sum beyond int64 is INT64_MAX. Cost: levels passed in the window; O(far_slots) beyond it. */
int64_t book_depth_within(const book_t *book, side_t side, int64_t px_limit);

/* book_iter: walk a side from its best level; the book must not change meanwhile.
 *     for (book_iter_t it = book_iter(book, SIDE_SELL); book_iter_next(&it, &level);) { ... }
 * Cost: ~2 ns a level in the window; O(far_slots) for each level beyond it. */
typedef struct book_iter {
    const book_t *book;
    int64_t       key;  /* of the level given last */
    uint32_t      side; /* 0 bids, 1 asks */
    bool          started;
} book_iter_t;

static inline book_iter_t book_iter(const book_t *book, side_t side)
{
    return (book_iter_t){.book = book, .side = side == SIDE_SELL};
}
bool book_iter_next(book_iter_t *iter, level_t *out);

/* book_hash: all that a later answer depends on: levels, best, health, reason, sequences, age. Where the window stands
 * and how the far hash is filled do not matter: equal contents give equal hashes by whatever path. A sum of one hash
 * per level, so that far levels need no sorting. Cost: O(levels + far_slots). */
uint64_t book_hash(uint64_t hash, const book_t *book);
