/* depth_sync: one instrument's book stream, from diffs and a snapshot to BOOK_UPDATE messages without a hole.
 *
 *              diff: kept                     diff: APPLY ─▶ BOOK_UPDATE
 *             ┌──────┐                             ┌──────┐
 *             │      ▼         snapshot            │      ▼      diff: GAP, or unreadable; or lost
 *   init ──▶ WAIT ─────────────────────▶ SNAPSHOT ──▶ LIVE ───────────────────────────────▶ RECOVER ─┐ diff: kept
 *                   BOOK_UPDATE SNAPSHOT,   ▲  first diff      FEED_STATE BROKEN                │ ▲    │
 *                   then the kept diffs     └─────────────── snapshot, then the kept diffs ─────┘ └────┘
 *
 * The rule (venue documentation, "how to manage a local order book", and recorded sessions; README.md here has the
 * facts. L = last id of snapshot or book):
 *
 *             DROP                                  APPLY                        GAP
 *   spot      u <= L                                after a snapshot U <= L + 1   anything else
 *                                                   else U == L + 1
 *   futures   after a snapshot u < L, else u <= L   after a snapshot U <= L       anything else
 *                                                   always pu == L
 *
 * Kept     while there is no snapshot, diffs are kept as parts of at most 64 levels in a ring of fixed size. When it
 *          is full the oldest diff goes (counted as dropped): a snapshot that comes later is newer than it, and one
 *          that is not is refused, because the rule finds the hole. After a gap the diff that showed it is kept too.
 * Stale    a snapshot that the oldest kept diff cannot follow is refused (nothing is sent, ERR_STATE: fetch another).
 *          In SNAPSHOT and LIVE one that is not newer than the book is counted and not used. In RECOVER the broken book
 *          decides nothing: one of the very same id is used, and pu == L joins the next futures diff to it.
 * Order    rpt_seq is consecutive over all parts that were committed. FEED_STATE BROKEN may follow a FIRST part in
 *          place of its LAST when the rest of a venue message turned out to be unreadable.
 * Use      begin (diff or snapshot), then for each part levels + part, at last levels + end; or abort at any point.
 * Owner    the codec, one thread. Memory is the caller's; pointers in it are to that memory and to the sink. */
#pragma once

#include <stdbool.h>

#include "adapters/venue.h"

typedef struct depth_part {       /* a kept part */
    uint64_t      venue_seq_prev; /* pu */
    book_update_t upd;
    level_t       levels[BOOK_UPDATE_MAX_LEVELS];
} depth_part_t;

typedef enum depth_state { DEPTH_WAIT, DEPTH_SNAPSHOT, DEPTH_LIVE, DEPTH_RECOVER } depth_state_t;
typedef enum depth_target { DEPTH_TO_SINK, DEPTH_TO_KEPT, DEPTH_TO_NOWHERE } depth_target_t;

typedef struct depth_ids { /* of one venue message */
    uint64_t first;        /* U; of a snapshot: lastUpdateId */
    uint64_t last;         /* u; of a snapshot: lastUpdateId */
    uint64_t prev;         /* pu; futures diffs only         */
    int64_t  ts_event_ns;
    int64_t  ts_recv_ns;
} depth_ids_t;

typedef struct depth_sync {
    const md_sink_t *sink;
    feed_stats_t    *stats;
    depth_part_t    *kept; /* ring of kept_max parts                                  */
    uint32_t         kept_max;
    uint32_t         kept_head;  /* index of the oldest part                                */
    uint32_t         kept_count; /* parts of whole diffs; the one being written is behind   */
    uint32_t         open_count; /* parts of the message being written, already complete    */
    uint32_t         instrument_id;
    bool             futures;
    bool             is_snapshot; /* the message being written */
    depth_state_t    state;
    depth_target_t   target; /* where the message being written goes */
    err_t            result; /* what its end will answer              */
    uint64_t         last;   /* L */
    uint64_t         rpt_seq;
    depth_ids_t      ids;   /* of the message being written */
    md_slot_t        slot;  /* of its current part in the sink */
    depth_part_t     scrap; /* of parts that go nowhere */
} depth_sync_t;

/* depth_sync_init: kept points to kept_max parts; sink and stats outlive the object. */
void depth_sync_init(depth_sync_t *sync, const feed_ref_t *ref, const md_sink_t *sink, feed_stats_t *stats,
                     depth_part_t *kept, uint32_t kept_max);

/* depth_sync_diff: a diff begins. The rule is applied now: on a gap FEED_STATE BROKEN is committed here.
 * ERR_OK; ERR_PARSE with a sentence when first > last (nothing has begun). */
err_t depth_sync_diff(depth_sync_t *sync, const depth_ids_t *ids);

/* depth_sync_snapshot: a snapshot begins. ERR_OK: write its parts (they go nowhere when the book is newer);
 * ERR_STATE with a sentence: stale, nothing has begun. */
err_t depth_sync_snapshot(depth_sync_t *sync, const depth_ids_t *ids);

/* depth_sync_levels: room for BOOK_UPDATE_MAX_LEVELS levels of the current part, bids first. */
level_t *depth_sync_levels(depth_sync_t *sync);

/* depth_sync_part: the current part is full and more levels follow. */
void depth_sync_part(depth_sync_t *sync, uint32_t bid_count, uint32_t ask_count);

/* depth_sync_end: the current part is the last of its message. After a snapshot the kept diffs follow at once.
 * ERR_OK; ERR_GAP with a sentence when this diff, or a kept one, did not join on. */
err_t depth_sync_end(depth_sync_t *sync, uint32_t bid_count, uint32_t ask_count);

/* depth_sync_abort: the message that has begun, or would have, cannot be read. A live book is BROKEN by that
 * (FEED_STATE with reason and the ids of the message, 0 if it had not begun); a snapshot that broke off before its
 * first part leaves it as it is. begun: depth_sync_diff or depth_sync_snapshot answered ERR_OK. */
void depth_sync_abort(depth_sync_t *sync, bool begun, feed_reason_t reason, int64_t ts_recv_ns);

/* depth_sync_lost: between messages; the book is known to be wrong by someone else. A live book is BROKEN by that
 * (FEED_STATE with reason and ids 0); one that waits for a snapshot goes on waiting. */
void depth_sync_lost(depth_sync_t *sync, feed_reason_t reason, int64_t ts_recv_ns);
