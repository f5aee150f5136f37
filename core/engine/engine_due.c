/* What is due: so that no input looks at all instruments, accounts or orders to find the few that need something.
 *
 *   wheel   instruments with something to do at a known time: a LIVE book that turns STALE, a broken one that is asked
 *           about again. DUE_SLOTS lists, an instrument in at most one. A book that moves on does not touch the wheel:
 *           it is looked at when its slot comes up, and goes to the slot of what is then its time. So an update costs
 *           one comparison, and each instrument a look each stale_ns or second.
 *   marks   bits by number: instruments due now, instruments to ask about, orders whose state is not known, accounts
 *           with a loss limit reached, and of each account the instruments whose position may not be flat. A walk
 *           visits the bits that are set, lowest number first, and passes 64 that are not in a step; whether a bit is
 *           still right is asked then (a mark may be too many, never too few).
 *
 * The wheel and most marks follow from what is, and what comes of them comes in the order of numbers: only instruments that
 * were due and had no turn yet, and whose turn it is among the accounts, are in the state hash. */
#include "core/engine/engine_private.h"

#define NONE 0u /* no instrument: their ids are from 1 */

/* ---- marks --------------------------------------------------------------------------------------------------------- */
uint32_t mark_next(const uint64_t *marks, uint32_t from, uint32_t end)
{
    for (uint32_t word = from >> 6; from < end; from = ++word << 6) {
        const uint64_t rest = marks[word] >> (from & 63);
        if (rest) {
            return min_u32(end, from + (uint32_t)__builtin_ctzll(rest));
        }
    }
    return end;
}

/* ---- the wheel ----------------------------------------------------------------------------------------------------- */
static int64_t later(int64_t time_ns, int64_t by_ns)
{
    int64_t sum;
    return __builtin_add_overflow(time_ns, by_ns, &sum) ? DUE_NEVER : sum;
}

/* When this instrument needs something next, by its own state. */
static int64_t due_of(const engine_t *e, uint32_t id)
{
    const ins_state_t *ins  = &e->ins[id];
    const view_t       book = market_of(e, id);
    switch (view_health(book)) {
    case FEED_LIVE: return later(later(view_updated_mono_ns(book), e->s->stale_ns), 1); /* older than stale_ns */
    case FEED_BROKEN:
    case FEED_RECOVERING: return ins->ask ? DUE_NEVER : later(ins->asked_mono_ns, ASK_AGAIN_NS);
    default: return DUE_NEVER;
    }
}

static uint32_t *head_of(const engine_t *e, int64_t slot)
{
    return &e->s->due_head[(uint64_t)slot % DUE_SLOTS];
}

static void leave(engine_t *e, uint32_t id)
{
    ins_state_t *ins = &e->ins[id];
    if (ins->due_prev) {
        e->ins[ins->due_prev].due_next = ins->due_next;
    } else {
        *head_of(e, ins->due_slot) = ins->due_next;
    }
    if (ins->due_next) {
        e->ins[ins->due_next].due_prev = ins->due_prev;
    }
    ins->due_next = ins->due_prev = NONE;
    ins->due_ns                   = DUE_NEVER;
}

static void enter(engine_t *e, uint32_t id, int64_t due)
{
    ins_state_t *ins = &e->ins[id];
    ins->due_ns      = due;
    ins->due_slot    = max_i64(due / e->s->due_width_ns, e->s->due_slot); /* what is late already comes up first */
    uint32_t *head   = head_of(e, ins->due_slot);
    ins->due_prev    = NONE;
    ins->due_next    = *head;
    *head            = id;
    if (ins->due_next) {
        e->ins[ins->due_next].due_prev = id;
    }
}

void due_watch(engine_t *e, uint32_t id)
{
    const int64_t due = due_of(e, id);
    if (due >= e->ins[id].due_ns) { /* later than its slot, or never: seen when that comes up */
        return;
    }
    if (e->ins[id].due_ns != DUE_NEVER) {
        leave(e, id);
    }
    enter(e, id, due);
}

static void slot_turn(engine_t *e, int64_t slot)
{
    uint32_t id = *head_of(e, slot);
    for (uint32_t next; id != NONE; id = next) {
        const int64_t due = due_of(e, id);
        next              = e->ins[id].due_next;
        if (due > e->now.mono_ns && due == e->ins[id].due_ns) {
            continue; /* not yet, and in its place */
        }
        leave(e, id);
        if (due <= e->now.mono_ns) {
            mark_set(e->due, id);
        } else if (due != DUE_NEVER) {
            enter(e, id, due);
        }
    }
}

void due_turn(engine_t *e)
{
    engine_state_t *s  = e->s;
    const int64_t   to = max_i64(e->now.mono_ns / s->due_width_ns, s->due_slot);
    int64_t         at = max_i64(s->due_slot, to - (int64_t)DUE_SLOTS + 1); /* once around is all of them */
    s->due_slot        = to; /* before: what is entered while they are looked at lies at now or later */
    for (; at <= to; at++) {
        slot_turn(e, at);
    }
}
