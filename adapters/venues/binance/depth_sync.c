#include "adapters/venues/binance/depth_sync.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

typedef enum depth_fit { FIT_DROP, FIT_APPLY, FIT_GAP } depth_fit_t;

void depth_sync_init(depth_sync_t *sync, const feed_ref_t *ref, const md_sink_t *sink, feed_stats_t *stats,
                     depth_part_t *kept, uint32_t kept_max)
{
    assert(kept_max > 0);
    memset(sync, 0, sizeof *sync);
    sync->sink          = sink;
    sync->stats         = stats;
    sync->kept          = kept;
    sync->kept_max      = kept_max;
    sync->instrument_id = ref->instrument_id;
    sync->futures       = ref->kind != INSTRUMENT_SPOT;
    sync->state         = DEPTH_WAIT;
}

/* ---- the rule ---------------------------------------------------------------------------------------------------- */
static depth_fit_t rule(const depth_sync_t *s, bool after_snapshot, uint64_t known, const depth_ids_t *ids)
{
    if (ids->last < known || (ids->last == known && !(s->futures && after_snapshot))) {
        return FIT_DROP;
    }
    const bool follows = s->futures ? ids->prev == known : ids->first == known + 1;
    const bool spans   = after_snapshot && ids->first <= known;
    return follows || spans ? FIT_APPLY : FIT_GAP;
}

static void state_set(depth_sync_t *s, depth_state_t state)
{
    static const uint8_t health[] = {[DEPTH_WAIT]     = FEED_NONE,
                                     [DEPTH_SNAPSHOT] = FEED_LIVE,
                                     [DEPTH_LIVE]     = FEED_LIVE,
                                     [DEPTH_RECOVER]  = FEED_RECOVERING};
    s->state                      = state;
    s->stats->health              = health[state];
}

static bool is_live(const depth_sync_t *s)
{
    return s->state == DEPTH_SNAPSHOT || s->state == DEPTH_LIVE;
}

static void broken(depth_sync_t *s, feed_reason_t reason, uint64_t seq_from, uint64_t seq_to, int64_t ts_recv_ns)
{
    const md_slot_t slot = s->sink->reserve(s->sink->ctx, MSG_FEED_STATE);
    feed_state_t   *fs   = slot.body;
    *fs                  = (feed_state_t){.instrument_id = s->instrument_id,
                                          .health        = FEED_BROKEN,
                                          .reason        = (uint8_t)reason,
                                          .seq_from      = seq_from,
                                          .seq_to        = seq_to,
                                          .ts_recv_ns    = ts_recv_ns};
    s->sink->commit(s->sink->ctx, &(msg_t){.type = MSG_FEED_STATE, .body = fs});
    state_set(s, DEPTH_RECOVER);
}

/* The ids between book and diff are missing; when they overlap instead, nobody can say which. */
static err_t gap(depth_sync_t *s, const depth_ids_t *ids)
{
    const bool     by_prev = s->futures && s->state == DEPTH_LIVE; /* futures ids have holes of their own: pu tells */
    const uint64_t to      = by_prev ? ids->prev : ids->first - (ids->first > 0);
    const bool     hole    = to > s->last;
    s->stats->gaps++;
    broken(s, FEED_REASON_GAP, hole ? s->last + 1 : 0, hole ? to : 0, ids->ts_recv_ns);
    return hole ? err_set(ERR_GAP,
                          "book diff %" PRIu64 "..%" PRIu64 " does not join on: ids %" PRIu64 "..%" PRIu64
                          " are missing",
                          ids->first, ids->last, s->last + 1, to)
                : err_set(ERR_GAP, "book diff %" PRIu64 "..%" PRIu64 " does not join on: the book ends at %" PRIu64,
                          ids->first, ids->last, s->last);
}

/* ---- kept diffs -------------------------------------------------------------------------------------------------- */
static depth_part_t *kept_at(const depth_sync_t *s, uint32_t i)
{
    return &s->kept[(s->kept_head + i) % s->kept_max];
}

/* Forget the oldest kept diff. */
static void kept_drop(depth_sync_t *s)
{
    bool last;
    do {
        last         = (kept_at(s, 0)->upd.flags & BOOK_FLAG_LAST) != 0;
        s->kept_head = (s->kept_head + 1) % s->kept_max;
        s->kept_count--;
    } while (!last);
    s->stats->diffs_pending--;
}

static depth_ids_t kept_ids(const depth_part_t *part)
{
    return (depth_ids_t){.first       = part->upd.venue_seq_first,
                         .last        = part->upd.venue_seq,
                         .prev        = part->venue_seq_prev,
                         .ts_event_ns = part->upd.ts_event_ns,
                         .ts_recv_ns  = part->upd.ts_recv_ns};
}

static void upd_commit(depth_sync_t *s, md_slot_t slot, const book_update_t *upd)
{
    book_update_t *out = slot.body;
    *out               = *upd;
    out->rpt_seq       = ++s->rpt_seq;
    s->stats->rpt_seq  = s->rpt_seq;
    s->sink->commit(s->sink->ctx, &(msg_t){.type       = MSG_BOOK_UPDATE,
                                           .tail_count = (uint32_t)out->bid_count + out->ask_count,
                                           .body       = out,
                                           .tail       = slot.levels});
}

static void diff_applied(depth_sync_t *s, uint64_t last)
{
    state_set(s, DEPTH_LIVE);
    s->last                  = last;
    s->stats->last_update_id = last;
    s->stats->diffs_applied++;
}

/* The oldest kept diff goes out, part by part. */
static void kept_send(depth_sync_t *s)
{
    const uint64_t last = kept_at(s, 0)->upd.venue_seq;
    for (uint32_t i = 0;; i++) {
        const depth_part_t *part = kept_at(s, i);
        const md_slot_t     slot = s->sink->reserve(s->sink->ctx, MSG_BOOK_UPDATE);
        memcpy(slot.levels, part->levels, ((size_t)part->upd.bid_count + part->upd.ask_count) * sizeof(level_t));
        upd_commit(s, slot, &part->upd);
        if ((part->upd.flags & BOOK_FLAG_LAST) != 0) {
            break;
        }
    }
    kept_drop(s);
    diff_applied(s, last);
}

/* After a snapshot: the kept diffs by the rule, oldest first. A gap leaves the rest for the next snapshot. */
static err_t kept_drain(depth_sync_t *s)
{
    while (s->kept_count > 0) {
        const depth_ids_t ids = kept_ids(kept_at(s, 0));
        switch (rule(s, s->state == DEPTH_SNAPSHOT, s->last, &ids)) {
        case FIT_DROP:
            kept_drop(s);
            s->stats->diffs_dropped++;
            break;
        case FIT_APPLY: kept_send(s); break;
        case FIT_GAP: return gap(s, &ids);
        }
    }
    return ERR_OK;
}

/* ---- a message, part by part ------------------------------------------------------------------------------------- */
static void begin(depth_sync_t *s, const depth_ids_t *ids, bool is_snapshot, depth_target_t target, err_t result)
{
    s->ids         = *ids;
    s->is_snapshot = is_snapshot;
    s->target      = target;
    s->result      = result;
    s->open_count  = 0;
}

err_t depth_sync_diff(depth_sync_t *sync, const depth_ids_t *ids)
{
    if (ids->first > ids->last) {
        return err_set(ERR_PARSE, "book diff begins at id %" PRIu64 " and ends before it, at %" PRIu64, ids->first,
                       ids->last);
    }
    if (!is_live(sync)) {
        begin(sync, ids, false, DEPTH_TO_KEPT, ERR_OK);
        return ERR_OK;
    }
    switch (rule(sync, sync->state == DEPTH_SNAPSHOT, sync->last, ids)) {
    case FIT_DROP: begin(sync, ids, false, DEPTH_TO_NOWHERE, ERR_OK); break;
    case FIT_APPLY: begin(sync, ids, false, DEPTH_TO_SINK, ERR_OK); break;
    case FIT_GAP: begin(sync, ids, false, DEPTH_TO_KEPT, gap(sync, ids)); break;
    }
    return ERR_OK;
}

err_t depth_sync_snapshot(depth_sync_t *sync, const depth_ids_t *ids)
{
    if (is_live(sync)) {
        const bool newer = ids->last > sync->last;
        begin(sync, ids, true, newer ? DEPTH_TO_SINK : DEPTH_TO_NOWHERE, ERR_OK);
        return ERR_OK;
    }
    for (uint32_t i = 0; i < sync->kept_count; i++) {
        const depth_ids_t diff = kept_ids(kept_at(sync, i));
        const depth_fit_t fit  = rule(sync, true, ids->last, &diff);
        if (fit == FIT_GAP) {
            sync->stats->snapshots_stale++;
            return err_set(ERR_STATE,
                           "snapshot of id %" PRIu64 " is too old: the oldest diff to follow it begins at %" PRIu64,
                           ids->last, diff.first);
        }
        if (fit == FIT_APPLY) {
            break;
        }
    }
    begin(sync, ids, true, DEPTH_TO_SINK, ERR_OK);
    return ERR_OK;
}

/* Room for one more kept part, at the cost of the oldest diffs; NULL when the message alone is larger than the ring. */
static depth_part_t *kept_room(depth_sync_t *s)
{
    while (s->kept_count + s->open_count == s->kept_max) {
        if (s->kept_count == 0) {
            return NULL;
        }
        kept_drop(s);
        s->stats->diffs_dropped++;
    }
    return kept_at(s, s->kept_count + s->open_count);
}

level_t *depth_sync_levels(depth_sync_t *sync)
{
    if (sync->target == DEPTH_TO_SINK) {
        sync->slot = sync->sink->reserve(sync->sink->ctx, MSG_BOOK_UPDATE);
        return sync->slot.levels;
    }
    if (sync->target == DEPTH_TO_KEPT) {
        depth_part_t *room = kept_room(sync);
        if (room != NULL) {
            return room->levels;
        }
        sync->target = DEPTH_TO_NOWHERE;
    }
    return sync->scrap.levels;
}

static void part_done(depth_sync_t *s, uint32_t bid_count, uint32_t ask_count, uint32_t flag_last)
{
    assert(bid_count + ask_count <= BOOK_UPDATE_MAX_LEVELS);
    const book_update_t upd = {.instrument_id = s->instrument_id,
                               .flags         = flag_last | (s->open_count == 0 ? BOOK_FLAG_FIRST : 0u) |
                                        (s->is_snapshot ? BOOK_FLAG_SNAPSHOT : 0u),
                               .venue_seq_first = s->ids.first,
                               .venue_seq       = s->ids.last,
                               .ts_event_ns     = s->ids.ts_event_ns,
                               .ts_recv_ns      = s->ids.ts_recv_ns,
                               .bid_count       = (uint16_t)bid_count,
                               .ask_count       = (uint16_t)ask_count};
    if (s->target == DEPTH_TO_SINK) {
        upd_commit(s, s->slot, &upd);
    } else if (s->target == DEPTH_TO_KEPT) {
        depth_part_t *part   = kept_at(s, s->kept_count + s->open_count);
        part->venue_seq_prev = s->ids.prev;
        part->upd            = upd;
    }
    s->open_count++;
}

void depth_sync_part(depth_sync_t *sync, uint32_t bid_count, uint32_t ask_count)
{
    part_done(sync, bid_count, ask_count, 0);
}

static err_t snapshot_end(depth_sync_t *s)
{
    if (s->target == DEPTH_TO_NOWHERE) {
        s->stats->snapshots_stale++;
        return ERR_OK;
    }
    state_set(s, DEPTH_SNAPSHOT);
    s->last                  = s->ids.last;
    s->stats->last_update_id = s->last;
    s->stats->snapshots++;
    return kept_drain(s);
}

err_t depth_sync_end(depth_sync_t *sync, uint32_t bid_count, uint32_t ask_count)
{
    part_done(sync, bid_count, ask_count, BOOK_FLAG_LAST);
    if (sync->is_snapshot) {
        return snapshot_end(sync);
    }
    sync->stats->diffs++;
    switch (sync->target) {
    case DEPTH_TO_SINK: diff_applied(sync, sync->ids.last); break;
    case DEPTH_TO_NOWHERE: sync->stats->diffs_dropped++; break;
    case DEPTH_TO_KEPT:
        sync->kept_count += sync->open_count;
        sync->stats->diffs_buffered++;
        sync->stats->diffs_pending++;
        break;
    }
    return sync->result;
}

void depth_sync_abort(depth_sync_t *sync, bool begun, feed_reason_t reason, int64_t ts_recv_ns)
{
    /* What goes to kept or nowhere is forgotten with that. A snapshot that breaks off after its first part has already
     * cleared the reader's book, so it breaks the feed in every state. */
    const bool half_sent = begun && sync->target == DEPTH_TO_SINK && sync->open_count > 0;
    if (half_sent || (is_live(sync) && !(begun && sync->is_snapshot))) {
        const bool named = begun && !sync->is_snapshot;
        broken(sync, reason, named ? sync->ids.first : 0, named ? sync->ids.last : 0, ts_recv_ns);
    }
}

void depth_sync_lost(depth_sync_t *sync, feed_reason_t reason, int64_t ts_recv_ns)
{
    if (is_live(sync)) {
        broken(sync, reason, 0, 0, ts_recv_ns);
    }
}
