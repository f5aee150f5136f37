/* mbo: what is checked here
 *
 *  1. life: sizes out of limits refused; a new book is BROKEN/START; join refuses what is no book
 *  2. health: every edge; a fault is answered with its error and a sentence, changes no order, then ERR_AGAIN
 *  3. priority: reduce and a modify downwards keep the place, everything else loses it
 *  4. against the slow model (a list of orders in order of priority, scanned): every order, level, queue and quantity
 *     ahead, in random histories of add, reduce, modify, faults and clears, with prices near and extreme, with queues and
 *     without, with a known tick, an unknown one and one that the prices do not keep
 *  5. ids that differ only high up are found; orders and levels full are LIMIT at exactly the limit, and rows and levels come back
 *  6. the block's bytes are a snapshot: a copy goes on like the original; the hash follows contents, not the path
 *
 * Random histories print their seed; HWAL_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/book/mbo.h"
#include "tests/lib/seeded.h"

static mbo_t *make_cfg(const mbo_cfg_t *cfg)
{
    const size_t len = mbo_footprint(cfg);
    assert_true(len > 0);
    void *mem = aligned_alloc(mbo_align(), len);
    assert_non_null(mem);
    memset(mem, 0xA5, len);
    mbo_t *mbo = mbo_new(mem, cfg);
    assert_non_null(mbo);
    return mbo;
}

static mbo_t *make(uint32_t orders_max, uint32_t levels_max)
{
    return make_cfg(&(mbo_cfg_t){.orders_max = orders_max, .levels_max = levels_max});
}

static mbo_t *make_live(uint32_t orders_max, uint32_t levels_max)
{
    mbo_t *mbo = make(orders_max, levels_max);
    mbo_clear(mbo);
    assert_int_equal(mbo_feed(mbo, FEED_LIVE, FEED_REASON_NONE), ERR_OK);
    return mbo;
}

/* ---- 1, 2 ---------------------------------------------------------------------------------------------------------- */

static void test_mbo_life(void **state)
{
    (void)state;
    const mbo_cfg_t bad[] = {{.levels_max = 1},
                             {.orders_max = 1},
                             {.orders_max = MBO_ORDERS_MAX + 1, .levels_max = 1},
                             {.orders_max = 1, .levels_max = MBO_LEVELS_MAX + 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t mem[64];
        assert_int_equal(mbo_footprint(&bad[i]), 0);
        assert_non_null(strstr(err_msg(), "limit 1.."));
        assert_null(mbo_new(mem, &bad[i]));
    }
    const mbo_cfg_t worse[] = {{.orders_max = 1, .levels_max = 1, .tick = -1},
                               {.orders_max = 1, .levels_max = 1, .window_ticks = 100}};
    for (size_t i = 0; i < sizeof worse / sizeof *worse; i++) {
        assert_int_equal(mbo_footprint(&worse[i]), 0);
        assert_non_null(strstr(err_msg(), i == 0 ? "mbo: ladder: tick is -1" : "mbo: ladder: window_ticks is 100"));
    }
    mbo_t *mbo = make(4, 4);
    assert_int_equal(mbo_health(mbo), FEED_BROKEN);
    assert_int_equal(mbo_reason(mbo), FEED_REASON_START);
    assert_ptr_equal(mbo_join(mbo), mbo);
    free(mbo);
    _Alignas(64) uint8_t none[512] = {0};
    assert_null(mbo_join(none));
    assert_non_null(strstr(err_msg(), "no book"));
}

static void test_mbo_health_edges(void **state)
{
    (void)state;
    mbo_t *mbo = make(4, 4);
    assert_int_equal(mbo_feed(mbo, FEED_LIVE, FEED_REASON_NONE), ERR_OK); /* heals nothing */
    assert_int_equal(mbo_health(mbo), FEED_BROKEN);
    assert_int_equal(mbo_add(mbo, 1, SIDE_BUY, 1, 1), ERR_AGAIN);
    mbo_clear(mbo);
    assert_int_equal(mbo_health(mbo), FEED_RECOVERING);
    assert_int_equal(mbo_feed(mbo, FEED_STALE, FEED_REASON_AGE), ERR_OK); /* only of a LIVE book */
    assert_int_equal(mbo_health(mbo), FEED_RECOVERING);
    assert_int_equal(mbo_add(mbo, 1, SIDE_BUY, 1, 1), ERR_OK);
    assert_int_equal(mbo_feed(mbo, FEED_LIVE, FEED_REASON_NONE), ERR_OK);
    assert_int_equal(mbo_health(mbo), FEED_LIVE);
    assert_int_equal(mbo_reason(mbo), FEED_REASON_NONE);
    assert_int_equal(mbo_feed(mbo, FEED_STALE, FEED_REASON_AGE), ERR_OK);
    assert_int_equal(mbo_health(mbo), FEED_STALE);
    assert_int_equal(mbo_reason(mbo), FEED_REASON_AGE);
    assert_int_equal(mbo_feed(mbo, FEED_LIVE, FEED_REASON_NONE), ERR_OK);
    assert_int_equal(mbo_health(mbo), FEED_LIVE);
    assert_int_equal(mbo_feed(mbo, FEED_RECOVERING, FEED_REASON_GAP), ERR_OK);
    assert_int_equal(mbo_health(mbo), FEED_BROKEN);
    assert_int_equal(mbo_reason(mbo), FEED_REASON_GAP);
    assert_int_equal(mbo_order_count(mbo, SIDE_BUY), 1); /* for a person to look at */
    mbo_clear(mbo);
    assert_int_equal(mbo_order_count(mbo, SIDE_BUY), 0);
    assert_int_equal(mbo_feed(mbo, (feed_health_t)5, FEED_REASON_NONE), ERR_ARG);
    assert_int_equal(mbo_health(mbo), FEED_BROKEN);
    mbo_clear(mbo);
    assert_int_equal(mbo_feed(mbo, FEED_LIVE, FEED_REASON_COUNT), ERR_ARG);
    assert_int_equal(mbo_reason(mbo), FEED_REASON_GARBLED);
    free(mbo);
}

typedef struct fault_case {
    char          verb; /* a, r, d, m */
    uint64_t      id;
    side_t        side;
    int64_t       px, qty;
    err_t         err;
    feed_reason_t reason;
} fault_case_t;

static void test_mbo_faults(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        {'a', 0, SIDE_BUY, 1, 1, ERR_ARG, FEED_REASON_GARBLED},
        {'a', 9, SIDE_NONE, 1, 1, ERR_ARG, FEED_REASON_GARBLED},
        {'a', 9, SIDE_BUY, MBO_PX_LIMIT, 1, ERR_RANGE, FEED_REASON_GARBLED},
        {'a', 9, SIDE_SELL, -MBO_PX_LIMIT, 1, ERR_RANGE, FEED_REASON_GARBLED},
        {'a', 9, SIDE_BUY, INT64_MIN, 1, ERR_RANGE, FEED_REASON_GARBLED},
        {'a', 9, SIDE_BUY, 1, 0, ERR_RANGE, FEED_REASON_GARBLED},
        {'a', 9, SIDE_BUY, 1, -1, ERR_RANGE, FEED_REASON_GARBLED},
        {'a', 9, SIDE_BUY, 10, INT64_MAX - 4, ERR_RANGE, FEED_REASON_GARBLED}, /* 5 stand there */
        {'a', 7, SIDE_SELL, 1, 1, ERR_EXISTS, FEED_REASON_GARBLED},
        {'r', 9, SIDE_BUY, 1, 1, ERR_NOT_FOUND, FEED_REASON_LOST},
        {'r', 7, SIDE_BUY, 1, 0, ERR_RANGE, FEED_REASON_GARBLED},
        {'r', 7, SIDE_BUY, 1, 6, ERR_RANGE, FEED_REASON_GARBLED},
        {'d', 9, SIDE_BUY, 1, 1, ERR_NOT_FOUND, FEED_REASON_LOST},
        {'m', 9, SIDE_BUY, 1, 1, ERR_NOT_FOUND, FEED_REASON_LOST},
        {'m', 7, SIDE_BUY, 10, 0, ERR_RANGE, FEED_REASON_GARBLED},
        {'m', 7, SIDE_BUY, MBO_PX_LIMIT, 1, ERR_RANGE, FEED_REASON_GARBLED},
        {'m', 7, SIDE_BUY, 20, INT64_MAX, ERR_RANGE, FEED_REASON_GARBLED}, /* 1 stands there */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const fault_case_t *c   = &cases[i];
        mbo_t              *mbo = make_live(4, 4);
        assert_int_equal(mbo_add(mbo, 7, SIDE_BUY, 10, 5), ERR_OK);
        assert_int_equal(mbo_add(mbo, 8, SIDE_BUY, 20, 1), ERR_OK);
        err_set(ERR_ARG, "none");
        const err_t err = c->verb == 'a'   ? mbo_add(mbo, c->id, c->side, c->px, c->qty)
                          : c->verb == 'r' ? mbo_reduce(mbo, c->id, c->qty)
                          : c->verb == 'd' ? mbo_remove(mbo, c->id)
                                           : mbo_modify(mbo, c->id, c->px, c->qty);
        assert_int_equal(err, c->err);
        assert_non_null(strstr(err_msg(), "mbo: "));
        assert_int_equal(mbo_health(mbo), FEED_BROKEN);
        assert_int_equal(mbo_reason(mbo), c->reason);
        mbo_order_t order;
        mbo_level_t level;
        assert_true(mbo_find(mbo, 7, &order) && order.qty == 5 && order.px == 10 && order.side == SIDE_BUY);
        assert_int_equal(mbo_order_count(mbo, SIDE_BUY) + mbo_order_count(mbo, SIDE_SELL), 2);
        assert_true(mbo_level(mbo, SIDE_BUY, 1, &level) && level.px == 10 && level.qty == 5 && level.count == 1);
        assert_int_equal(mbo_add(mbo, 9, SIDE_BUY, 1, 1), ERR_AGAIN);
        assert_int_equal(mbo_reduce(mbo, 7, 1), ERR_AGAIN);
        assert_int_equal(mbo_remove(mbo, 7), ERR_AGAIN);
        assert_int_equal(mbo_modify(mbo, 7, 10, 1), ERR_AGAIN);
        free(mbo);
    }
}

/* ---- 3 --------------------------------------------------------------------------------------------------------------- */

static void test_mbo_priority(void **state)
{
    (void)state;
    mbo_t *mbo = make_live(8, 8);
    for (uint64_t id = 1; id <= 4; id++) {
        assert_int_equal(mbo_add(mbo, id, SIDE_SELL, 100, 10), ERR_OK);
    }
    assert_int_equal(mbo_reduce(mbo, 1, 4), ERR_OK);       /* keeps */
    assert_int_equal(mbo_modify(mbo, 2, 100, 7), ERR_OK);  /* keeps */
    assert_int_equal(mbo_modify(mbo, 3, 100, 10), ERR_OK); /* nothing changed: keeps */
    assert_int_equal(mbo_ahead(mbo, 1), 0);
    assert_int_equal(mbo_ahead(mbo, 2), 6);
    assert_int_equal(mbo_ahead(mbo, 3), 13);
    assert_int_equal(mbo_modify(mbo, 2, 100, 8), ERR_OK); /* more: tail */
    assert_int_equal(mbo_ahead(mbo, 2), 26);
    assert_int_equal(mbo_modify(mbo, 1, 101, 6), ERR_OK); /* away and back: tail */
    assert_int_equal(mbo_modify(mbo, 1, 100, 6), ERR_OK);
    mbo_order_t queue[8];
    assert_int_equal(mbo_queue(mbo, SIDE_SELL, 100, queue, 8), 4);
    static const uint64_t want[] = {3, 4, 2, 1};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(queue[i].id, want[i]);
    }
    assert_int_equal(mbo_queue(mbo, SIDE_SELL, 100, queue, 2), 2);
    assert_int_equal(mbo_level_count(mbo, SIDE_SELL), 1);
    assert_int_equal(mbo_ahead(mbo, 77), -1);
    assert_int_equal(mbo_add(mbo, 5, SIDE_BUY, 1, 2), ERR_OK); /* its own quantity makes room on its level */
    assert_int_equal(mbo_modify(mbo, 5, 1, INT64_MAX), ERR_OK);
    assert_int_equal(mbo_reduce(mbo, 5, INT64_MAX), ERR_OK);
    free(mbo);
}

/* ---- 4 --------------------------------------------------------------------------------------------------------------- */

#define MODEL_MAX 512

typedef struct model {
    mbo_order_t orders[MODEL_MAX]; /* in order of priority over all levels */
    uint32_t    count;
} model_t;

static uint32_t model_find(const model_t *m, uint64_t id)
{
    uint32_t i = 0;
    while (i < m->count && m->orders[i].id != id) {
        i++;
    }
    return i;
}

static void model_drop(model_t *m, uint32_t i)
{
    memmove(&m->orders[i], &m->orders[i + 1], (m->count - i - 1) * sizeof m->orders[0]);
    m->count--;
}

static void model_modify(model_t *m, uint64_t id, int64_t px, int64_t qty)
{
    const uint32_t    i   = model_find(m, id);
    const mbo_order_t old = m->orders[i];
    if (old.px == px && qty <= old.qty) {
        m->orders[i].qty = qty;
        return;
    }
    model_drop(m, i);
    m->orders[m->count++] = (mbo_order_t){.id = id, .px = px, .qty = qty, .side = old.side};
}

/* The n-th best level of a side, by looking at everything n + 1 times. */
static bool model_level(const model_t *m, side_t side, uint32_t n, mbo_level_t *out)
{
    int64_t px    = 0;
    bool    found = false;
    for (uint32_t k = 0; k <= n; k++) {
        const int64_t before = px;
        found                = false;
        for (uint32_t i = 0; i < m->count; i++) {
            const mbo_order_t *o = &m->orders[i];
            if (o->side != side || (k > 0 && (side == SIDE_BUY ? o->px >= before : o->px <= before))) {
                continue;
            }
            if (!found || (side == SIDE_BUY ? o->px > px : o->px < px)) {
                px    = o->px;
                found = true;
            }
        }
        if (!found) {
            break;
        }
    }
    *out = (mbo_level_t){0};
    for (uint32_t i = 0; found && i < m->count; i++) {
        if (m->orders[i].side == side && m->orders[i].px == px) {
            out->px = px;
            out->qty += m->orders[i].qty;
            out->count++;
        }
    }
    return found;
}

static void agree_level(const mbo_t *mbo, const model_t *m, side_t side, int64_t px, bool queues)
{
    mbo_order_t    queue[MODEL_MAX];
    mbo_level_t    level;
    const uint32_t count = mbo_queue(mbo, side, px, queue, MODEL_MAX);
    uint32_t       n     = 0;
    int64_t        ahead = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        const mbo_order_t *o = &m->orders[i];
        if (o->side == side && o->px == px) {
            mbo_order_t found;
            MUST(mbo_find(mbo, o->id, &found) && memcmp(&found, o, sizeof *o) == 0);
            MUST(!queues || (n < count && memcmp(&queue[n], o, sizeof *o) == 0));
            MUST(mbo_ahead(mbo, o->id) == (queues ? ahead : -1));
            ahead += o->qty;
            n++;
        }
    }
    MUST(count == (queues ? n : 0) && mbo_level_at(mbo, side, px, &level) == (n > 0) && level.qty == ahead &&
         level.count == n);
}

static void agree(const mbo_t *mbo, const model_t *m, bool queues)
{
    uint32_t    orders[2] = {0};
    mbo_level_t best[2];
    level_t     top[2];
    for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
        mbo_level_t want, got, walked;
        uint32_t    n = 0;
        do {
            const bool there = model_level(m, side, n, &want);
            MUST(mbo_level(mbo, side, n, &got) == there);
            MUST(memcmp(&want, &got, sizeof want) == 0);
            MUST(n == 0 || mbo_worse(mbo, side, &walked) == there);
            MUST(n == 0 || memcmp(&want, &walked, sizeof want) == 0);
            walked = want;
            if (there) {
                agree_level(mbo, m, side, want.px, queues);
            }
        } while (n++ < MODEL_MAX && want.count > 0);
        MUST(mbo_level_count(mbo, side) == n - 1);
        model_level(m, side, 0, &best[side - SIDE_BUY]);
    }
    for (uint32_t i = 0; i < m->count; i++) {
        orders[m->orders[i].side == SIDE_SELL]++;
    }
    MUST(mbo_order_count(mbo, SIDE_BUY) == orders[0] && mbo_order_count(mbo, SIDE_SELL) == orders[1]);
    mbo_best(mbo, &top[0].px, &top[0].qty, &top[1].px, &top[1].qty);
    for (unsigned k = 0; k < 2; k++) {
        MUST(top[k].px == best[k].px && top[k].qty == best[k].qty);
    }
    MUST(mbo_crossed(mbo) == (orders[0] > 0 && orders[1] > 0 && best[0].px >= best[1].px));
}

static int64_t random_px(uint64_t *x, side_t side)
{
    const int64_t  d = (int64_t)(seeded_next(x) % 12);
    const uint64_t k = seeded_next(x) % 256;
    if (k < 2) {
        return k == 0 ? MBO_PX_LIMIT - 1 - d : -MBO_PX_LIMIT + 1 + d;
    }
    if (k < 12) { /* far and farther: windows slide */
        return (int64_t)(seeded_next(x) % 4000) - 2000;
    }
    return side == SIDE_BUY ? 1000 - d : 998 + d;
}

static void random_step(uint64_t *x, mbo_t *mbo, model_t *m)
{
    const uint64_t id   = (1 + seeded_next(x) % 300) * 0x9E3779B97F4A7C15u; /* some stand, some do not */
    const uint32_t i    = model_find(m, id);
    const side_t   side = seeded_next(x) % 2 ? SIDE_BUY : SIDE_SELL;
    const int64_t  qty  = 1 + (int64_t)(seeded_next(x) % 20);
    if (i == m->count) {
        const int64_t px = random_px(x, side);
        MUST(mbo_add(mbo, id, side, px, qty) == ERR_OK);
        m->orders[m->count++] = (mbo_order_t){.id = id, .px = px, .qty = qty, .side = side};
        return;
    }
    mbo_order_t *o = &m->orders[i];
    if (seeded_next(x) % 2) {
        const int64_t less = seeded_next(x) % 2 ? o->qty : 1 + (int64_t)(seeded_next(x) % (uint64_t)o->qty);
        MUST((less == o->qty && seeded_next(x) % 2 ? mbo_remove(mbo, id) : mbo_reduce(mbo, id, less)) == ERR_OK);
        o->qty -= less;
        if (o->qty == 0) {
            model_drop(m, i);
        }
    } else {
        const int64_t px = seeded_next(x) % 2 ? o->px : random_px(x, o->side);
        MUST(mbo_modify(mbo, id, px, qty) == ERR_OK);
        model_modify(m, id, px, qty);
    }
}

/* The best that the head keeps is that of the levels, after every single call. */
static void agree_best(const mbo_t *mbo)
{
    mbo_level_t bid, ask;
    level_t     best[2];
    mbo_level(mbo, SIDE_BUY, 0, &bid);
    mbo_level(mbo, SIDE_SELL, 0, &ask);
    mbo_best(mbo, &best[0].px, &best[0].qty, &best[1].px, &best[1].qty);
    MUST(best[0].px == bid.px && best[0].qty == bid.qty && best[1].px == ask.px && best[1].qty == ask.qty);
}

static void test_mbo_agrees_with_model(void **state)
{
    (void)state;
    uint64_t       x      = seeded_seed("test_mbo");
    const uint64_t rounds = getenv("HWAL_QUICK") != NULL ? 4 : seeded_rounds(20, 2000);
    for (uint64_t round = 0; round < rounds; round++) {
        static const int64_t ticks[] = {0, 1, 1, 3, 7, 1000};
        static model_t       m;
        const bool           queues = round % 3 != 0;
        mbo_t               *mbo    = make_cfg(&(mbo_cfg_t){.orders_max   = MODEL_MAX,
                                                            .levels_max   = 256,
                                                            .tick         = ticks[seeded_next(&x) % 6],
                                                            .window_ticks = 256u << seeded_next(&x) % 6,
                                                            .no_queues    = !queues});
        m.count                     = 0;
        mbo_clear(mbo);
        for (unsigned step = 0; step < 2000; step++) {
            const uint64_t k = seeded_next(&x) % 2000;
            if (k == 0) {
                mbo_clear(mbo);
                m.count = 0;
            } else if (k == 1) { /* a fault changes no order; then the feed begins again */
                MUST(mbo_reduce(mbo, 12345, 1) == ERR_NOT_FOUND);
                agree(mbo, &m, queues);
                mbo_clear(mbo);
                m.count = 0;
            } else {
                random_step(&x, mbo, &m);
            }
            agree_best(mbo);
            if (step % 16 == 0) {
                agree(mbo, &m, queues);
            }
        }
        while (m.count > 0) { /* down to nothing */
            MUST(mbo_reduce(mbo, m.orders[0].id, m.orders[0].qty) == ERR_OK);
            model_drop(&m, 0);
        }
        agree(mbo, &m, queues);
        free(mbo);
    }
}

/* Ids that a poor hash would put into one place: each is found, in any order, while they come and go. */
static void test_mbo_ids(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 55; shift += 6) {
        mbo_t *mbo = make_live(512, 4);
        for (uint64_t i = 1; i <= 512; i++) {
            assert_int_equal(mbo_add(mbo, i << shift, SIDE_BUY, 10, (int64_t)i), ERR_OK);
        }
        for (uint64_t i = 1; i <= 512; i++) {
            const uint64_t k = i * 77 % 512 + 1; /* every one once */
            mbo_order_t    order;
            assert_true(mbo_find(mbo, k << shift, &order) && order.qty == (int64_t)k);
            assert_int_equal(mbo_reduce(mbo, k << shift, (int64_t)k), ERR_OK);
            assert_false(mbo_find(mbo, k << shift, &order));
        }
        assert_int_equal(mbo_order_count(mbo, SIDE_BUY), 0);
        free(mbo);
    }
}

/* ---- 5, 6 ------------------------------------------------------------------------------------------------------------- */

static void test_mbo_limits(void **state)
{
    (void)state;
    mbo_t *mbo = make_live(4, 2);
    for (unsigned round = 0; round < 3; round++) { /* rows and levels come back */
        assert_int_equal(mbo_add(mbo, 1, SIDE_BUY, 10, 1), ERR_OK);
        assert_int_equal(mbo_add(mbo, 2, SIDE_SELL, 20, 1), ERR_OK);
        assert_int_equal(mbo_modify(mbo, 2, 21, 1), ERR_OK); /* its old level makes room */
        assert_int_equal(mbo_add(mbo, 3, SIDE_SELL, 21, 1), ERR_OK);
        assert_int_equal(mbo_add(mbo, 4, SIDE_SELL, 21, 1), ERR_OK);
        if (round < 2) {
            for (uint64_t id = 1; id <= 4; id++) {
                assert_int_equal(mbo_reduce(mbo, id, 1), ERR_OK);
            }
        }
    }
    const size_t len  = mbo_footprint(&(mbo_cfg_t){.orders_max = 4, .levels_max = 2});
    mbo_t       *copy = aligned_alloc(mbo_align(), len);
    memcpy(copy, mbo, len);
    assert_int_equal(mbo_add(copy, 5, SIDE_BUY, 10, 1), ERR_LIMIT); /* orders */
    assert_int_equal(mbo_reason(copy), FEED_REASON_LIMIT);
    memcpy(copy, mbo, len);
    assert_int_equal(mbo_reduce(copy, 3, 1), ERR_OK);
    assert_int_equal(mbo_modify(copy, 4, 22, 1), ERR_LIMIT); /* levels */
    assert_int_equal(mbo_reason(copy), FEED_REASON_LIMIT);
    assert_non_null(strstr(err_msg(), "levels, limit 2"));
    memcpy(copy, mbo, len);
    assert_int_equal(mbo_reduce(copy, 3, 1), ERR_OK);
    assert_int_equal(mbo_add(copy, 5, SIDE_BUY, 11, 1), ERR_LIMIT); /* levels */
    free(copy);
    free(mbo);
}

static void test_mbo_copy_goes_on(void **state)
{
    (void)state;
    uint64_t       x   = seeded_seed("test_mbo copy");
    const size_t   len = mbo_footprint(&(mbo_cfg_t){.orders_max = MODEL_MAX, .levels_max = 128});
    mbo_t         *mbo = make_live(MODEL_MAX, 128);
    static model_t m, m2;
    m.count = 0;
    for (unsigned step = 0; step < 1000; step++) {
        random_step(&x, mbo, &m);
    }
    void *mem = aligned_alloc(mbo_align(), len);
    memcpy(mem, mbo, len);
    mbo_t   *copy = mbo_join(mem);
    uint64_t y    = x;
    m2            = m;
    for (unsigned step = 0; step < 1000; step++) {
        random_step(&x, mbo, &m);
        random_step(&y, copy, &m2);
    }
    assert_memory_equal(mbo, copy, len);
    agree(copy, &m, true);

    mbo_t *fresh = make_cfg(&(mbo_cfg_t){.orders_max = 1024, .levels_max = 256, .tick = 1, .window_ticks = 512});
    mbo_clear(fresh); /* the same contents by another path, in another size, found in another way */
    assert_int_equal(mbo_feed(fresh, FEED_LIVE, FEED_REASON_NONE), ERR_OK);
    for (uint32_t i = 0; i < m.count; i++) {
        const mbo_order_t *o = &m.orders[i];
        assert_int_equal(mbo_add(fresh, o->id, (side_t)o->side, o->px, o->qty), ERR_OK);
    }
    assert_int_equal(mbo_hash(1, fresh), mbo_hash(1, mbo));
    const mbo_order_t *last = &m.orders[m.count - 1];
    assert_int_equal(mbo_modify(fresh, last->id, last->px, last->qty + 1), ERR_OK);
    assert_int_not_equal(mbo_hash(1, fresh), mbo_hash(1, mbo));
    assert_int_equal(mbo_modify(fresh, last->id, last->px, last->qty), ERR_OK);
    assert_int_equal(mbo_hash(1, fresh), mbo_hash(1, mbo));
    assert_int_equal(mbo_feed(fresh, FEED_STALE, FEED_REASON_AGE), ERR_OK);
    assert_int_not_equal(mbo_hash(1, fresh), mbo_hash(1, mbo));
    mbo_t *plain[2]; /* without queues: whatever the order of arrival */
    for (uint32_t k = 0; k < 2; k++) {
        plain[k] = make_cfg(&(mbo_cfg_t){.orders_max = 1024, .levels_max = 256, .tick = k, .no_queues = true});
        mbo_clear(plain[k]);
        for (uint32_t i = 0; i < m.count; i++) {
            const mbo_order_t *o = &m.orders[k == 0 ? i : m.count - 1 - i];
            assert_int_equal(mbo_add(plain[k], o->id, (side_t)o->side, o->px, o->qty), ERR_OK);
        }
    }
    assert_int_equal(mbo_hash(1, plain[0]), mbo_hash(1, plain[1]));
    assert_int_equal(mbo_modify(plain[0], last->id, last->px, last->qty + 1), ERR_OK);
    assert_int_not_equal(mbo_hash(1, plain[0]), mbo_hash(1, plain[1]));
    free(plain[0]);
    free(plain[1]);
    free(fresh);
    free(mem);
    free(mbo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mbo_life),
        cmocka_unit_test(test_mbo_health_edges),
        cmocka_unit_test(test_mbo_faults),
        cmocka_unit_test(test_mbo_priority),
        cmocka_unit_test(test_mbo_agrees_with_model),
        cmocka_unit_test(test_mbo_ids),
        cmocka_unit_test(test_mbo_limits),
        cmocka_unit_test(test_mbo_copy_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
