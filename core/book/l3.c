#include "core/book/l3.h"

#include <assert.h>
#include <string.h>

#include "core/book/ladder.h"
#include "core/types/hash.h"

#define L3_MAGIC 0x336c2d6b6f6f6268ull

/* l3_t.expect: the FIRST and SNAPSHOT flags that the next message must show, or that only a new snapshot will do. */
enum {
    EXPECT_DIFF          = BOOK_FLAG_FIRST,
    EXPECT_DIFF_PART     = 0,
    EXPECT_SNAPSHOT_PART = BOOK_FLAG_SNAPSHOT,
    EXPECT_SNAPSHOT      = 255, /* matches no flags */
    EXPECT_FLAGS         = BOOK_FLAG_FIRST | BOOK_FLAG_SNAPSHOT
};

_Static_assert(sizeof(l3_t) % 64 == 0, "the mbo behind it is aligned as it is");

static mbo_t *mbo_of(l3_t *l3)
{
    return (mbo_t *)(void *)(l3 + 1);
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */
size_t l3_align(void)
{
    return _Alignof(l3_t);
}

size_t l3_footprint(const mbo_cfg_t *cfg)
{
    const size_t bytes = mbo_footprint(cfg);
    return bytes ? sizeof(l3_t) + bytes : 0;
}

l3_t *l3_new(void *mem, const mbo_cfg_t *cfg, const instrument_t *ins)
{
    assert((uintptr_t)mem % _Alignof(l3_t) == 0 && _Alignof(l3_t) % mbo_align() == 0);
    l3_t         *l3   = mem;
    mbo_cfg_t     own  = *cfg;
    const int64_t tick = ins->bands[0].tick;
    own.tick           = ins->band_count == 1 && tick <= LADDER_TICK_MAX ? tick : 0; /* 0: learned from the prices */
    const mbo_t *mbo   = mbo_new(mbo_of(l3), &own);
    if (!mbo) {
        return NULL;
    }
    assert(mbo == l3_mbo(l3));
    memset(l3, 0, sizeof *l3);
    l3->health         = FEED_BROKEN;
    l3->reason         = FEED_REASON_START;
    l3->expect         = EXPECT_SNAPSHOT;
    l3->allow_negative = ins->def.allow_negative;
    memcpy(l3->symbol, ins->symbol, sizeof l3->symbol);
    l3->magic = L3_MAGIC;
    return l3;
}

/* ---- messages ------------------------------------------------------------------------------------------------------ */
static void l3_break(l3_t *l3, feed_reason_t reason)
{
    l3->health = FEED_BROKEN;
    l3->reason = (uint8_t)reason;
    l3->expect = EXPECT_SNAPSHOT;
}

/* May this part be applied? ERR_OK: it may, and the book was cleared when a snapshot begins. */
static err_t admit(l3_t *l3, const mbo_update_t *upd)
{
    const uint64_t due   = l3->rpt_seq + 1;
    const uint32_t shown = upd->flags & EXPECT_FLAGS;
    l3->rpt_seq          = upd->rpt_seq;
    if (shown != EXPECT_FLAGS && l3->expect == EXPECT_SNAPSHOT) {
        return ERR_AGAIN;
    }
    if (upd->entry_count > MBO_UPDATE_MAX_ENTRIES) {
        l3_break(l3, FEED_REASON_GARBLED);
        return err_set(ERR_ARG, "book %s: rpt_seq %llu has %u entries, limit %d", l3->symbol,
                       (unsigned long long)upd->rpt_seq, upd->entry_count, MBO_UPDATE_MAX_ENTRIES);
    }
    if (shown == EXPECT_FLAGS) { /* whatever was lost before a snapshot does not matter */
        mbo_clear(mbo_of(l3));
        l3->health = FEED_RECOVERING;
        return ERR_OK;
    }
    if (upd->rpt_seq != due) {
        l3_break(l3, FEED_REASON_LOST);
        return err_set(ERR_GAP, "book %s: rpt_seq is %llu, and %llu was due", l3->symbol,
                       (unsigned long long)upd->rpt_seq, (unsigned long long)due);
    }
    if (shown != l3->expect) {
        const uint32_t expect = l3->expect;
        l3_break(l3, FEED_REASON_GARBLED);
        return err_set(ERR_STATE, "book %s: rpt_seq %llu has flags %u where a %s part of a %s was due", l3->symbol,
                       (unsigned long long)upd->rpt_seq, upd->flags, expect & BOOK_FLAG_FIRST ? "first" : "further",
                       expect & BOOK_FLAG_SNAPSHOT ? "snapshot" : "diff");
    }
    return ERR_OK;
}

static err_t entry_apply(l3_t *l3, const mbo_entry_t *entry)
{
    mbo_t     *mbo    = mbo_of(l3);
    const bool priced = entry->action == MBO_ADD || entry->action == MBO_MODIFY;
    if (priced && entry->px <= 0 && !l3->allow_negative) {
        l3_break(l3, FEED_REASON_GARBLED);
        return err_set(ERR_RANGE, "book %s: order %llu has px %lld, limit 1", l3->symbol,
                       (unsigned long long)entry->order_id, (long long)entry->px);
    }
    err_t err;
    switch (entry->action) {
    case MBO_ADD: err = mbo_add(mbo, entry->order_id, (side_t)entry->side, entry->px, entry->qty); break;
    case MBO_MODIFY: err = mbo_modify(mbo, entry->order_id, entry->px, entry->qty); break;
    case MBO_CANCEL:
    case MBO_FILL: err = mbo_reduce(mbo, entry->order_id, entry->qty); break;
    default:
        l3_break(l3, FEED_REASON_GARBLED);
        return err_set(ERR_ARG, "book %s: order %llu has action %u, limits %d..%d", l3->symbol,
                       (unsigned long long)entry->order_id, entry->action, MBO_ADD, MBO_FILL);
    }
    if (err != ERR_OK) {
        l3_break(l3, mbo_reason(mbo));
        return err_wrap(err, "book %s", l3->symbol);
    }
    return ERR_OK;
}

/* Of a book whose feed lives: what its best prices make of it. */
static void health_live(l3_t *l3)
{
    const bool crossed = l3->best[0].qty != 0 && l3->best[1].qty != 0 && l3->best[0].px >= l3->best[1].px;
    l3->health         = crossed ? FEED_STALE : FEED_LIVE;
    l3->reason         = crossed ? FEED_REASON_CROSSED : FEED_REASON_NONE;
}

err_t l3_apply(l3_t *l3, const mbo_update_t *upd, const mbo_entry_t *entries, int64_t mono_ns)
{
    err_t err = admit(l3, upd);
    for (uint32_t i = 0; err == ERR_OK && i < upd->entry_count; i++) {
        err = entry_apply(l3, &entries[i]);
    }
    if (err != ERR_OK) {
        return err;
    }
    if ((upd->flags & BOOK_FLAG_LAST) == 0) {
        l3->expect = upd->flags & BOOK_FLAG_SNAPSHOT ? EXPECT_SNAPSHOT_PART : EXPECT_DIFF_PART;
        return ERR_OK;
    }
    mbo_best(l3_mbo(l3), &l3->best[0].px, &l3->best[0].qty, &l3->best[1].px, &l3->best[1].qty);
    l3->updated_mono_ns = mono_ns;
    l3->venue_seq       = upd->venue_seq;
    l3->expect          = EXPECT_DIFF;
    health_live(l3);
    return ERR_OK;
}

err_t l3_feed(l3_t *l3, const feed_state_t *state, int64_t mono_ns)
{
    const feed_reason_t reason = (feed_reason_t)state->reason;
    if (state->health == FEED_NONE || state->health > FEED_RECOVERING || state->reason >= FEED_REASON_COUNT) {
        l3_break(l3, FEED_REASON_GARBLED);
        return err_set(ERR_ARG, "book %s: feed state has health %u and reason %u, limits 1..%d and 0..%d", l3->symbol,
                       state->health, state->reason, FEED_RECOVERING, FEED_REASON_COUNT - 1);
    }
    if (state->health == FEED_BROKEN || state->health == FEED_RECOVERING) {
        l3_break(l3, reason);
        l3->health = state->health;
    } else if (state->health == FEED_STALE && l3->health == FEED_LIVE) {
        l3->health = FEED_STALE;
        l3->reason = reason == FEED_REASON_NONE ? FEED_REASON_AGE : (uint8_t)reason;
    } else if (state->health == FEED_LIVE && (l3->health == FEED_STALE || l3->health == FEED_LIVE)) {
        l3->updated_mono_ns = mono_ns;
        health_live(l3);
    }
    return ERR_OK;
}

bool l3_age(l3_t *l3, int64_t mono_ns, int64_t max_age_ns)
{
    if (l3->health != FEED_LIVE || mono_ns - l3->updated_mono_ns <= max_age_ns) {
        return false;
    }
    l3->health = FEED_STALE;
    l3->reason = FEED_REASON_AGE;
    return true;
}

/* ---- moving into a larger one --------------------------------------------------------------------------------------- */
err_t l3_copy(l3_t *to, const l3_t *from, mbo_order_t *queue, uint32_t queue_max)
{
    const mbo_t *orders = l3_mbo(from);
    mbo_t       *room   = mbo_of(to);
    mbo_level_t  level;
    err_t        err = ERR_OK;
    mbo_clear(room);
    for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
        for (bool more = mbo_level(orders, side, 0, &level); more; more = mbo_worse(orders, side, &level)) {
            if (level.count > queue_max) {
                return err_set(ERR_ARG, "book %s: a level of %u orders, room for %u", from->symbol, level.count,
                               queue_max);
            }
            const uint32_t count = mbo_queue(orders, side, level.px, queue, level.count);
            for (uint32_t i = 0; i < count && err == ERR_OK; i++) {
                err = mbo_add(room, queue[i].id, side, level.px, queue[i].qty);
            }
        }
    }
    if (err == ERR_OK && mbo_health(orders) != FEED_RECOVERING) {
        err = mbo_feed(room, mbo_health(orders), mbo_reason(orders));
    }
    *to = *from; /* the head: the orders lie behind it */
    return err;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */
uint32_t l3_levels(const l3_t *l3, side_t side, level_t *out, uint32_t max)
{
    mbo_level_t level;
    uint32_t    n = 0;
    for (bool more = mbo_level(l3_mbo(l3), side, 0, &level); more && n < max;
         more      = mbo_worse(l3_mbo(l3), side, &level)) {
        out[n++] = (level_t){.px = level.px, .qty = level.qty};
    }
    return n;
}

int64_t l3_depth_within(const l3_t *l3, side_t side, int64_t px_limit)
{
    mbo_level_t level;
    int64_t     qty = 0;
    for (bool more = mbo_level(l3_mbo(l3), side, 0, &level); more; more = mbo_worse(l3_mbo(l3), side, &level)) {
        if (side == SIDE_SELL ? level.px > px_limit : level.px < px_limit) {
            break;
        }
        if (__builtin_add_overflow(qty, level.qty, &qty)) {
            return INT64_MAX;
        }
    }
    return qty;
}

uint64_t l3_hash(uint64_t hash, const l3_t *l3)
{
    hash = mbo_hash(hash, l3_mbo(l3));
    hash = hash_bytes(hash, l3->best, sizeof l3->best);
    hash = hash_u64(hash, (uint64_t)l3->health << 32 | (uint64_t)l3->reason << 16 | l3->expect);
    hash = hash_u64(hash_u64(hash, l3->rpt_seq), l3->venue_seq);
    return hash_i64(hash, l3->updated_mono_ns);
}
