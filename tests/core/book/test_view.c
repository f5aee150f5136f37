/* view: what is checked here
 *
 *  1. one random market, told twice, as levels to an L2 book and as single orders to an L3 book, in messages of one or more
 *     parts: after every complete message both answer every question on levels alike, and as the slow model (a list of
 *     orders, scanned) does; places in a queue as the model does. Gaps, feed states, ageing and snapshots come between:
 *     health, reason, sequences and age are alike too, and answers of a broken book are the last ones
 *  2. what only single orders tell is "not known" of levels; a view of nothing is empty
 *  3. hash: equal contents by another path are equal; each thing that may differ makes a difference; the bytes of an L3 book
 *     are a snapshot
 *
 * Random histories print their seed; HWAL_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/book/view.h"
#include "tests/lib/seeded.h"

#define ORDERS_MAX 200u
#define DEEP 64u

typedef struct model_order { /* in a list in order of arrival at their levels */
    uint64_t id;
    int64_t  px, qty;
    side_t   side;
} model_order_t;

typedef struct market {
    book_t       *book;
    l3_t         *l3;
    uint64_t      rnd, id, seq, venue_seq;
    int64_t       now;
    int64_t       middle;
    model_order_t orders[ORDERS_MAX];
    uint32_t      count;
    level_t       changed[ORDERS_MAX]; /* levels touched by this message: px, and qty 0 bid 1 ask until told */
    uint32_t      changed_count;
    mbo_entry_t   entries[ORDERS_MAX];
    uint32_t      entry_count;
    bool          broken;
} market_t;

static const instrument_def_t def = {
    .venue_id = 1, .kind = INSTRUMENT_SPOT, .money_exp = 2, .settle_ccy = 0x445355, .mult = 1, .lot = 1, .min_qty = 1};
static const tick_band_t band = {.tick = 5};
static const mbo_cfg_t   mbo  = {.orders_max = 2 * ORDERS_MAX, .levels_max = 2 * ORDERS_MAX};

static void *block(size_t align, size_t bytes)
{
    assert_true(bytes > 0);
    void *mem = aligned_alloc(align, (bytes + align - 1) / align * align);
    memset(mem, 0xa5, (bytes + align - 1) / align * align);
    return mem;
}

static void open_market(market_t *m, uint64_t seed)
{
    const book_cfg_t cfg = {.window_ticks = 64, .far_slots = 512};
    instrument_t     ins;
    assert_int_equal(instrument_init(&ins, &def, "X", &band, 1), ERR_OK);
    *m      = (market_t){.rnd = seed, .middle = 100000, .now = 1, .broken = true};
    m->book = book_new(block(book_align(), book_footprint(&cfg)), &cfg, &ins);
    m->l3   = l3_new(block(l3_align(), l3_footprint(&mbo)), &mbo, &ins);
    assert_non_null(m->book);
    assert_non_null(m->l3);
}

static void close_market(market_t *m)
{
    free(m->book);
    free(m->l3);
}

static uint64_t rnd(market_t *m, uint64_t below)
{
    return seeded_next(&m->rnd) % below;
}

/* ---- the slow model ------------------------------------------------------------------------------------------------ */
static int64_t model_qty(const market_t *m, side_t side, int64_t px)
{
    int64_t qty = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        qty += m->orders[i].side == side && m->orders[i].px == px ? m->orders[i].qty : 0;
    }
    return qty;
}

static bool better(side_t side, int64_t a, int64_t b)
{
    return side == SIDE_BUY ? a > b : a < b;
}

/* The best level worse than px; with px NULL the best of all. qty 0 = none. */
static level_t model_next(const market_t *m, side_t side, const int64_t *px)
{
    level_t best = {0};
    for (uint32_t i = 0; i < m->count; i++) {
        const model_order_t *o = &m->orders[i];
        if (o->side == side && (!px || better(side, *px, o->px)) && (best.qty == 0 || better(side, o->px, best.px))) {
            best = (level_t){o->px, model_qty(m, side, o->px)};
        }
    }
    return best;
}

static void touch(market_t *m, side_t side, int64_t px)
{
    for (uint32_t i = 0; i < m->changed_count; i++) {
        if (m->changed[i].px == px && m->changed[i].qty == (side == SIDE_SELL)) {
            return;
        }
    }
    m->changed[m->changed_count++] = (level_t){px, side == SIDE_SELL};
}

static void say(market_t *m, mbo_action_t action, const model_order_t *o, int64_t px, int64_t qty)
{
    m->entries[m->entry_count++] =
        (mbo_entry_t){.order_id = o->id, .px = px, .qty = qty, .action = (uint8_t)action, .side = (uint8_t)o->side};
}

static void leave(market_t *m, uint32_t i)
{
    memmove(&m->orders[i], &m->orders[i + 1], (m->count - i - 1) * sizeof m->orders[0]);
    m->count--;
}

static int64_t some_px(market_t *m, side_t side)
{
    const int64_t away = (int64_t)(rnd(m, 10) == 0 ? 1 + rnd(m, 3000) : 1 + rnd(m, 12)) * 5;
    return side == SIDE_BUY ? m->middle - away : m->middle + away;
}

/* One event of the market; bids stay below the middle, asks above it. */
static void event(market_t *m)
{
    const uint64_t what = rnd(m, 8);
    if (m->count == 0 || (what < 3 && m->count < ORDERS_MAX)) {
        model_order_t o = {.id = ++m->id, .side = rnd(m, 2) ? SIDE_BUY : SIDE_SELL, .qty = 1 + (int64_t)rnd(m, 50)};
        o.px            = some_px(m, o.side);
        m->orders[m->count++] = o;
        touch(m, o.side, o.px);
        say(m, MBO_ADD, &o, o.px, o.qty);
        return;
    }
    const uint32_t i = (uint32_t)rnd(m, m->count);
    model_order_t  o = m->orders[i];
    touch(m, o.side, o.px);
    if (what < 6) {
        const int64_t less = 1 + (int64_t)rnd(m, (uint64_t)o.qty);
        say(m, what < 5 ? MBO_CANCEL : MBO_FILL, &o, rnd(m, 2) ? o.px : 0, less);
        m->orders[i].qty -= less;
        if (m->orders[i].qty == 0) {
            leave(m, i);
        }
        return;
    }
    const int64_t px = rnd(m, 2) ? o.px : some_px(m, o.side), qty = 1 + (int64_t)rnd(m, 50);
    touch(m, o.side, px);
    say(m, MBO_MODIFY, &o, px, qty);
    if (px == o.px && qty <= o.qty) {
        m->orders[i].qty = qty;
        return;
    }
    o.px  = px;
    o.qty = qty;
    leave(m, i);
    m->orders[m->count++] = o;
}

/* ---- telling both -------------------------------------------------------------------------------------------------- */
/* One venue message in the same number of parts to both; the sequence of both counts together, so parts may be empty. */
static void tell(market_t *m, uint32_t flags, uint64_t lost)
{
    level_t  bids[2 * ORDERS_MAX], asks[2 * ORDERS_MAX];
    uint32_t bid_count = 0, ask_count = 0;
    for (uint32_t i = 0; i < m->changed_count; i++) {
        const side_t  side = m->changed[i].qty ? SIDE_SELL : SIDE_BUY;
        const level_t now  = {m->changed[i].px, model_qty(m, side, m->changed[i].px)};
        *(side == SIDE_BUY ? &bids[bid_count++] : &asks[ask_count++]) = now;
    }
    const uint32_t of_orders = (m->entry_count + MBO_UPDATE_MAX_ENTRIES - 1) / MBO_UPDATE_MAX_ENTRIES;
    const uint32_t of_levels = (bid_count + ask_count + 63) / 64;
    const uint32_t least     = of_orders > of_levels ? of_orders : of_levels;
    const uint32_t parts     = (least ? least : 1) + (uint32_t)rnd(m, 2);
    uint32_t       e = 0, b = 0, a = 0;
    m->venue_seq += 1 + rnd(m, 3);
    m->seq += lost;
    m->now += (int64_t)rnd(m, 100);
    for (uint32_t part = 0; part < parts; part++) {
        const bool     last = part + 1 == parts;
        const uint32_t f  = flags | (part == 0 ? (uint32_t)BOOK_FLAG_FIRST : 0) | (last ? (uint32_t)BOOK_FLAG_LAST : 0);
        uint32_t       en = m->entry_count - e < MBO_UPDATE_MAX_ENTRIES ? m->entry_count - e : MBO_UPDATE_MAX_ENTRIES;
        en                = last || rnd(m, 2) || m->entry_count - e > MBO_UPDATE_MAX_ENTRIES ? en : en / 2;
        const uint32_t bn = bid_count - b < 64 ? bid_count - b : 64;
        const uint32_t an = ask_count - a < 64 - bn ? ask_count - a : 64 - bn;
        level_t        levels[64];
        memcpy(levels, bids + b, bn * sizeof levels[0]);
        memcpy(levels + bn, asks + a, an * sizeof levels[0]);
        const mbo_update_t  orders = {.flags           = f,
                                      .rpt_seq         = ++m->seq,
                                      .venue_seq_first = m->venue_seq,
                                      .venue_seq       = m->venue_seq,
                                      .entry_count     = (uint16_t)en};
        const book_update_t update = {.flags           = f,
                                      .rpt_seq         = m->seq,
                                      .venue_seq_first = m->venue_seq,
                                      .venue_seq       = m->venue_seq,
                                      .bid_count       = (uint16_t)bn,
                                      .ask_count       = (uint16_t)an};
        const err_t         x      = book_apply(m->book, &update, levels, m->now),
                    y              = l3_apply(m->l3, &orders, m->entries + e, m->now);
        assert_int_equal(x, y);
        assert_true(x == ERR_OK || x == ERR_AGAIN || x == ERR_GAP);
        m->broken |= x != ERR_OK;
        e += en;
        b += bn;
        a += an;
    }
    assert_true(m->broken || (e == m->entry_count && b == bid_count && a == ask_count));
    m->entry_count = m->changed_count = 0;
}

static void snapshot(market_t *m)
{
    m->entry_count = m->changed_count = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        touch(m, m->orders[i].side, m->orders[i].px);
        say(m, MBO_ADD, &m->orders[i], m->orders[i].px, m->orders[i].qty);
    }
    m->broken = false;
    tell(m, BOOK_FLAG_SNAPSHOT, rnd(m, 3)); /* what was lost before it does not matter */
    assert_false(m->broken);
}

/* ---- comparing ----------------------------------------------------------------------------------------------------- */
static void same_state(const market_t *m)
{
    const view_t v[2] = {view_of_book(m->book), view_of_l3(m->l3)};
    int64_t      best[2][4];
    assert_int_equal(view_health(v[0]), view_health(v[1]));
    assert_int_equal(view_reason(v[0]), view_reason(v[1]));
    assert_int_equal(view_rpt_seq(v[0]), view_rpt_seq(v[1]));
    assert_int_equal(view_venue_seq(v[0]), view_venue_seq(v[1]));
    assert_int_equal(view_updated_mono_ns(v[0]), view_updated_mono_ns(v[1]));
    for (int k = 0; k < 2; k++) {
        const bool live = view_best(v[k], &best[k][0], &best[k][1], &best[k][2], &best[k][3]);
        assert_int_equal(live, view_health(v[k]) == FEED_LIVE);
    }
    assert_memory_equal(best[0], best[1], sizeof best[0]);
}

static void same_levels(market_t *m, side_t side)
{
    const view_t l2 = view_of_book(m->book), l3 = view_of_l3(m->l3);
    level_t      a[ORDERS_MAX], b[ORDERS_MAX], expected[ORDERS_MAX];
    uint32_t     count = 0;
    for (level_t level = model_next(m, side, NULL); level.qty; level = model_next(m, side, &level.px)) {
        expected[count++] = level;
    }
    assert_int_equal(view_level_count(l2, side), count);
    assert_int_equal(view_level_count(l3, side), count);
    const uint32_t max = (uint32_t)rnd(m, ORDERS_MAX), n = count < max ? count : max;
    assert_int_equal(view_levels(l2, side, a, max), n);
    assert_int_equal(view_levels(l3, side, b, max), n);
    assert_memory_equal(a, expected, n * sizeof a[0]);
    assert_memory_equal(b, expected, n * sizeof b[0]);
    int64_t best[4];
    view_best(l3, &best[0], &best[1], &best[2], &best[3]);
    const level_t top = model_next(m, side, NULL);
    assert_int_equal(best[side == SIDE_SELL ? 2 : 0], top.px);
    assert_int_equal(best[side == SIDE_SELL ? 3 : 1], top.qty);
    for (int i = 0; i < 4; i++) {
        const int64_t px    = some_px(m, rnd(m, 4) ? side : SIDE_BUY) + (int64_t)rnd(m, 2);
        int64_t       depth = 0;
        for (uint32_t k = 0; k < count && !better(side, px, expected[k].px); k++) {
            depth += expected[k].qty;
        }
        assert_int_equal(view_qty_at(l2, side, px), model_qty(m, side, px));
        assert_int_equal(view_qty_at(l3, side, px), model_qty(m, side, px));
        assert_int_equal(view_depth_within(l2, side, px), depth);
        assert_int_equal(view_depth_within(l3, side, px), depth);
    }
}

static void same_queue(market_t *m)
{
    const view_t l2 = view_of_book(m->book), l3 = view_of_l3(m->l3);
    mbo_order_t  queue[DEEP];
    if (m->count == 0) {
        return;
    }
    const model_order_t *o     = &m->orders[rnd(m, m->count)];
    int64_t              ahead = 0;
    uint32_t             n = 0, got = view_queue(l3, o->side, o->px, queue, DEEP);
    for (uint32_t i = 0; i < m->count; i++) {
        const model_order_t *other = &m->orders[i];
        if (other->side != o->side || other->px != o->px) {
            continue;
        }
        ahead += other < o ? other->qty : 0;
        if (n < DEEP) {
            assert_true(n < got);
            assert_int_equal(queue[n].id, other->id);
            assert_int_equal(queue[n].qty, other->qty);
            n++;
        }
    }
    assert_int_equal(got, n);
    assert_int_equal(view_ahead(l3, o->id), ahead);
    assert_int_equal(view_ahead(l3, m->id + 1), -1);
    assert_int_equal(view_ahead(l2, o->id), -1);
    assert_int_equal(view_queue(l2, o->side, o->px, queue, DEEP), 0);
}

static void feed_says(market_t *m)
{
    static const struct {
        feed_health_t health;
        feed_reason_t reason;
    } say[]                  = {{FEED_LIVE, FEED_REASON_NONE},      {FEED_STALE, FEED_REASON_NONE},
                                {FEED_STALE, FEED_REASON_GAP},      {FEED_BROKEN, FEED_REASON_LOST},
                                {FEED_RECOVERING, FEED_REASON_GAP}, {FEED_RECOVERING + 1, FEED_REASON_GAP},
                                {FEED_LIVE, FEED_REASON_COUNT}};
    const uint64_t     i     = rnd(m, 40);
    const uint64_t     k     = i < sizeof say / sizeof say[0] ? i : rnd(m, 3);
    const feed_state_t state = {.health = (uint8_t)say[k].health, .reason = (uint8_t)say[k].reason};
    m->now += (int64_t)rnd(m, 100);
    assert_int_equal(book_feed(m->book, &state, m->now), l3_feed(m->l3, &state, m->now));
    m->broken |= k >= 3;
}

static void test_view_levels_and_orders_agree(void **state)
{
    (void)state;
    uint64_t       seed   = seeded_seed("test_view_levels_and_orders_agree");
    const uint64_t rounds = seeded_rounds(getenv("HWAL_QUICK") ? 2000 : 20000, 1000000);
    market_t       m;
    uint64_t       live = 0, stale = 0, broken = 0;
    open_market(&m, seeded_next(&seed));
    same_state(&m);
    for (uint64_t n = 0; n < rounds; n++) {
        if (m.broken ? rnd(&m, 4) == 0 : rnd(&m, 200) == 0) {
            snapshot(&m);
        } else {
            m.middle += rnd(&m, 500) == 0 && m.count == 0 ? 50000 : 0;
            for (uint64_t k = rnd(&m, 12) == 0 ? 30 + rnd(&m, 50) : rnd(&m, 4); k > 0; k--) {
                event(&m);
            }
            tell(&m, 0, rnd(&m, 150) == 0);
        }
        if (rnd(&m, 10) == 0) {
            feed_says(&m);
        }
        if (rnd(&m, 10) == 0) {
            m.now += (int64_t)rnd(&m, 300);
            assert_int_equal(book_age(m.book, m.now, 200), l3_age(m.l3, m.now, 200));
        }
        same_state(&m);
        if (!m.broken) {
            same_levels(&m, SIDE_BUY);
            same_levels(&m, SIDE_SELL);
            same_queue(&m);
        }
        const feed_health_t health = view_health(view_of_l3(m.l3));
        live += health == FEED_LIVE;
        stale += health == FEED_STALE;
        broken += health == FEED_BROKEN || health == FEED_RECOVERING;
    }
    printf("  %llu LIVE, %llu STALE, %llu BROKEN or RECOVERING\n", (unsigned long long)live, (unsigned long long)stale,
           (unsigned long long)broken);
    assert_true(live > rounds / 4 && stale > 0 && broken > 0);
    close_market(&m);
}

static void test_view_of_nothing_is_empty(void **state)
{
    (void)state;
    const view_t none = {0};
    int64_t      v[4] = {1, 2, 3, 4};
    level_t      level;
    mbo_order_t  order;
    assert_int_equal(view_health(none), FEED_NONE);
    assert_int_equal(view_reason(none), FEED_REASON_NONE);
    assert_false(view_best(none, &v[0], &v[1], &v[2], &v[3]));
    assert_int_equal(v[0] | v[1] | v[2] | v[3], 0);
    assert_int_equal(view_rpt_seq(none) + view_venue_seq(none), 0);
    assert_int_equal(view_updated_mono_ns(none), 0);
    assert_int_equal(view_level_count(none, SIDE_BUY) + view_levels(none, SIDE_BUY, &level, 1), 0);
    assert_int_equal(view_qty_at(none, SIDE_BUY, 5) + view_depth_within(none, SIDE_SELL, 5), 0);
    assert_int_equal(view_ahead(none, 1), -1);
    assert_int_equal(view_queue(none, SIDE_BUY, 5, &order, 1), 0);
    assert_int_equal(view_hash(7, none), 7);
}

static void test_view_hash_follows_contents(void **state)
{
    (void)state;
    market_t m;
    uint64_t seed = seeded_seed("test_view_hash_follows_contents");
    open_market(&m, seeded_next(&seed));
    while (m.count < 40) {
        event(&m);
        m.entry_count = m.changed_count = 0;
    }
    snapshot(&m);
    const view_t   v    = view_of_l3(m.l3);
    const uint64_t hash = view_hash(1, v);
    const size_t   size = l3_footprint(&mbo);
    l3_t          *copy = block(l3_align(), size);
    memcpy(copy, m.l3, size);
    assert_int_equal(view_hash(1, view_of_l3(copy)), hash);
    assert_int_not_equal(view_hash(2, v), hash);
    assert_int_not_equal(view_hash(1, view_of_book(m.book)), hash);

    /* there and back again: the orders stand as before, but other sequences */
    mbo_entry_t  add    = {.order_id = 1u << 30, .px = m.middle - 5, .qty = 3, .action = MBO_ADD, .side = SIDE_BUY};
    mbo_entry_t  back   = {.order_id = 1u << 30, .qty = 3, .action = MBO_CANCEL};
    mbo_update_t update = {.flags       = BOOK_FLAG_FIRST | BOOK_FLAG_LAST,
                           .rpt_seq     = copy->rpt_seq + 1,
                           .entry_count = 1,
                           .venue_seq   = copy->venue_seq};
    assert_int_equal(l3_apply(copy, &update, &add, m.now), ERR_OK);
    assert_int_not_equal(view_hash(1, view_of_l3(copy)), hash);
    update.rpt_seq++;
    assert_int_equal(l3_apply(copy, &update, &back, m.now), ERR_OK);
    assert_int_not_equal(view_hash(1, view_of_l3(copy)), hash); /* rpt_seq */
    copy->rpt_seq -= 2;
    assert_int_equal(view_hash(1, view_of_l3(copy)), hash);

    uint8_t *const bytes[] = {&copy->health,
                              &copy->reason,
                              &copy->expect,
                              (uint8_t *)&copy->venue_seq,
                              (uint8_t *)&copy->updated_mono_ns,
                              (uint8_t *)&copy->best[1].qty};
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        *bytes[i] ^= 1;
        assert_int_not_equal(view_hash(1, view_of_l3(copy)), hash);
        *bytes[i] ^= 1;
    }
    free(copy);
    close_market(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_levels_and_orders_agree),
        cmocka_unit_test(test_view_of_nothing_is_empty),
        cmocka_unit_test(test_view_hash_follows_contents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
