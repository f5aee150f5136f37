/* l3: the single orders of one instrument under the rules of messages: what book.h is to levels, this is to orders.
 *
 * An l3 takes MBO_UPDATE messages (one venue message in several parts, FIRST and LAST flagged) and FEED_STATE messages,
 * and keeps the orders in an mbo (mbo.h). Read both kinds of book through view.h.
 *
 * States   as drawn in book.h, with one difference: a book that is crossed after a complete message is no fault, for orders
 *          gather crossed before an auction. It is STALE/CROSSED until a complete message finds it uncrossed: nothing is
 *          priced on it meanwhile, its orders go on, and no snapshot is asked for.
 * Faults   rpt_seq not the last one + 1 (LOST), parts in a wrong order, an action that does not exist, a price that cannot be
 *          (GARBLED); and those of mbo.h: an order that does not stand (LOST), an id twice, more taken than is left
 *          (GARBLED), orders or levels full (LIMIT). A message that was half applied leaves the book BROKEN. Only a SNAPSHOT
 *          that completes heals it; its orders stay as they were at the fault, for a person to look at.
 * Entries  the id alone names the order of MODIFY, CANCEL and FILL: their side, and px of the last two, are not read.
 * Memory   one block, the caller's: this head, then the mbo; no pointers, its bytes are a snapshot.
 * Cost     a message ~5 ns and what mbo.h says for each entry.
 * Threads  one writer; a reader in the same thread. Between the parts of a message l3_best() is still that of the last
 *          complete message; the functions that read levels and orders see the parts applied so far.
 * Units    px, qty of the instrument; mono_ns the monotonic clock of the record.
 * Limits   of mbo.h, whose cfg.tick is set here: the instrument's, where one holds for all prices;
 *          MBO_UPDATE_MAX_ENTRIES entries a message. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/book/mbo.h"
#include "core/ref/instrument.h"
#include "core/types/err.h"
#include "core/types/msg.h"

typedef struct l3 { /* read through the functions */
    _Alignas(64) uint64_t magic;
    uint64_t rpt_seq; /* 83: of the last message seen */
    level_t  best[2]; /* bid, ask after the last complete message; px 0 and qty 0 = none */
    int64_t  updated_mono_ns;
    uint64_t venue_seq;
    uint8_t  health; /* feed_health_t */
    uint8_t  reason; /* feed_reason_t */
    uint8_t  expect; /* what the next message must show */
    uint8_t  allow_negative;
    uint32_t reserved;
    char     symbol[SYMBOL_MAX + 1];
} l3_t;

/* l3_align, l3_footprint: of the block; 0 and a sentence when cfg is out of its limits. l3_new: format mem as an empty book,
 * BROKEN/START; NULL and a sentence likewise. Cost: mbo_new. */
size_t l3_align(void);
size_t l3_footprint(const mbo_cfg_t *cfg);
l3_t  *l3_new(void *mem, const mbo_cfg_t *cfg, const instrument_t *ins);

/* l3_apply: one part of a venue message.
 *   entries  upd->entry_count of them, applied in their order
 *   mono_ns  receive time by the monotonic clock; kept when the message is complete
 * Returns  ERR_OK       applied; after a LAST part the book is LIVE, or STALE/CROSSED
 *          ERR_AGAIN    not applied: the book waits for a snapshot (an answer, no sentence)
 *          ERR_GAP, ERR_STATE, ERR_ARG (entries, action) or what mbo_add, mbo_modify, mbo_reduce say: BROKEN, with a
 *          sentence, once per fault: then ERR_AGAIN until the snapshot. */
err_t l3_apply(l3_t *l3, const mbo_update_t *upd, const mbo_entry_t *entries, int64_t mono_ns);

/* l3_feed, l3_age: as book_feed and book_age. LIVE ends no STALE/CROSSED. */
err_t l3_feed(l3_t *l3, const feed_state_t *state, int64_t mono_ns);
bool  l3_age(l3_t *l3, int64_t mono_ns, int64_t max_age_ns);

/* l3_copy: to, new and with limits of its own, becomes what from is: orders in their queues, state, what is due next.
 *   queue    room for the orders of from's longest level, queue_max of them
 * Returns ERR_OK; ERR_LIMIT (to has no room), ERR_ARG (queue has none) with a sentence: to is to be thrown away then.
 * Cost     mbo_clear, and mbo_add for each order. */
err_t l3_copy(l3_t *to, const l3_t *from, mbo_order_t *queue, uint32_t queue_max);

/* l3_mbo: its orders, for queue places and walks over orders. */
static inline const mbo_t *l3_mbo(const l3_t *l3)
{
    return (const mbo_t *)(const void *)(l3 + 1);
}

/* l3_best: as book_best: true when LIVE, and so never of a crossed book. O(1). */
static inline bool l3_best(const l3_t *l3, int64_t *bid_px, int64_t *bid_qty, int64_t *ask_px, int64_t *ask_qty)
{
    *bid_px  = l3->best[0].px;
    *bid_qty = l3->best[0].qty;
    *ask_px  = l3->best[1].px;
    *ask_qty = l3->best[1].qty;
    return l3->health == FEED_LIVE;
}

/* l3_levels: the best levels of a side, best first, at most max; how many. l3_depth_within: as book_depth_within.
 * Cost of both: ~3 ns a level passed. */
uint32_t l3_levels(const l3_t *l3, side_t side, level_t *out, uint32_t max);
int64_t  l3_depth_within(const l3_t *l3, side_t side, int64_t px_limit);

/* l3_hash: all that a later answer depends on; equal contents give equal hashes by whatever path. O(orders). */
uint64_t l3_hash(uint64_t hash, const l3_t *l3);
