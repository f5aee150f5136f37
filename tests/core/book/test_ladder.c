/* ladder: what is checked here
 *
 *  1. sizes out of limits are refused with a sentence; a new ladder is empty
 *  2. by hand: sliding up and down, a price between two ticks, a window that empties while far levels exist, prices at
 *     both ends of what is legal, a full pool
 *     and a tick that is learned, made finer, forgotten
 *  3. against a sorted array: find, take, drop, best, worse and the whole walk in random histories: both sides, every
 *     window, ticks from none to the largest, prices that wander, jump, lie between ticks or at the ends; a level keeps
 *     its row and its quantity as long as it lives
 *  4. a copy of the block goes on like the original
 *
 * Random histories print their seed; HWAL_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/book/ladder.h"
#include "tests/lib/seeded.h"

static ladder_t *make(const ladder_cfg_t *cfg)
{
    const size_t len = ladder_footprint(cfg);
    MUST(len > 0 && len % 64 == 0);
    void *mem = aligned_alloc(64, len);
    MUST(mem != NULL);
    memset(mem, 0xA5, len);
    ladder_t *ladder = ladder_new(mem, cfg);
    MUST(ladder != NULL);
    return ladder;
}

static void test_ladder_life(void **state)
{
    (void)state;
    static const struct {
        ladder_cfg_t cfg;
        const char  *says;
    } bad[] = {
        {{-1, 256, 1, SIDE_BUY}, "tick is -1"},
        {{LADDER_TICK_MAX + 1, 256, 1, SIDE_BUY}, "tick is"},
        {{1, 128, 1, SIDE_BUY}, "window_ticks is 128"},
        {{1, 300, 1, SIDE_BUY}, "window_ticks is 300"},
        {{1, 2 * LADDER_WINDOW_MAX, 1, SIDE_BUY}, "window_ticks is 131072"},
        {{1, 256, 0, SIDE_BUY}, "0 levels"},
        {{1, 256, LADDER_LEVELS_MAX + 1, SIDE_BUY}, "levels, limit"},
        {{1, 256, 1, SIDE_NONE}, "side is 0"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        _Alignas(64) uint8_t mem[64];
        assert_int_equal(ladder_footprint(&bad[i].cfg), 0);
        assert_non_null(strstr(err_msg(), bad[i].says));
        assert_null(ladder_new(mem, &bad[i].cfg));
    }
    ladder_t *l = make(&(ladder_cfg_t){.tick = 1, .window_ticks = 256, .levels_max = 2, .side = SIDE_SELL});
    assert_int_equal(ladder_best(l), LADDER_NONE);
    assert_int_equal(ladder_count(l), 0);
    assert_int_equal(ladder_find(l, 0), LADDER_NONE);
    assert_int_equal(ladder_worse(l, 0), LADDER_NONE);
    free(l);
}

static int64_t px_of(const ladder_t *l, uint32_t row)
{
    return row == LADDER_NONE ? INT64_MIN : ladder_level(l, row)->px;
}

static void test_ladder_by_hand(void **state)
{
    (void)state;
    ladder_t      *l        = make(&(ladder_cfg_t){.tick = 10, .window_ticks = 256, .levels_max = 5, .side = SIDE_BUY});
    const uint32_t a        = ladder_take(l, 1000);
    ladder_level(l, a)->qty = 7;
    assert_int_equal(ladder_take(l, 1000), a);
    const uint32_t high = ladder_take(l, LADDER_PX_LIMIT - 1 - (LADDER_PX_LIMIT - 1) % 10); /* far up: a falls off */
    const uint32_t low  = ladder_take(l, -LADDER_PX_LIMIT + 1);                             /* between two ticks */
    const uint32_t odd  = ladder_take(l, 1001);
    assert_int_equal(ladder_best(l), high);
    assert_int_equal(ladder_find(l, 1000), a);
    assert_int_equal(ladder_find(l, 1010), LADDER_NONE);
    assert_int_equal(ladder_find(l, 1002), LADDER_NONE);
    assert_int_equal(px_of(l, ladder_worse(l, px_of(l, high))), 1001);
    assert_int_equal(ladder_worse(l, 1001), a);
    assert_int_equal(ladder_worse(l, 1005), odd);
    assert_int_equal(ladder_worse(l, 1000), low);
    assert_int_equal(ladder_worse(l, px_of(l, low)), LADDER_NONE);
    assert_int_not_equal(ladder_take(l, 5), LADDER_NONE);
    assert_int_equal(ladder_take(l, 6), LADDER_NONE); /* full: near, far and better ones */
    assert_int_equal(ladder_take(l, 990), LADDER_NONE);
    assert_int_equal(ladder_take(l, px_of(l, high) - 10), LADDER_NONE);
    assert_int_equal(ladder_take(l, LADDER_PX_LIMIT - 1), LADDER_NONE);
    assert_int_equal(ladder_count(l), 5);
    assert_int_equal(ladder_best(l), high);
    ladder_drop(l, high); /* the window is empty: it comes down */
    assert_int_equal(ladder_best(l), odd);
    ladder_drop(l, odd);
    assert_int_equal(ladder_best(l), a);
    assert_int_equal(ladder_level(l, a)->qty, 7);
    ladder_drop(l, a);
    assert_int_equal(px_of(l, ladder_best(l)), 5);
    const uint32_t last = ladder_best(l);
    ladder_drop(l, last);
    assert_int_equal(ladder_best(l), low);
    assert_int_equal(ladder_take(l, 0), last); /* last in, first out */
    ladder_clear(l);
    assert_int_equal(ladder_count(l), 0);
    assert_int_equal(ladder_best(l), LADDER_NONE);
    assert_int_equal(ladder_find(l, 0), LADDER_NONE);
    free(l);
}

/* A side that begins with a price between two ticks, at the end of what is legal, where an empty window might wait. */
static void test_ladder_begins_odd(void **state)
{
    (void)state;
    const int64_t end = LADDER_PX_LIMIT / 3 * 3;
    for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
        for (int64_t first = LADDER_PX_LIMIT - 1; first > LADDER_PX_LIMIT - 3000; first--) {
            ladder_t *l    = make(&(ladder_cfg_t){.tick = 3, .window_ticks = 256, .levels_max = 4, .side = side});
            int64_t   px[] = {first, end - 4500, end - 6000};
            for (unsigned i = 0; i < 3; i++) {
                ladder_take(l, px[i]);
            }
            uint32_t row = ladder_best(l);
            for (unsigned i = 0; i < 3; i++, row = ladder_worse(l, px_of(l, row))) {
                assert_int_equal(px_of(l, row), px[side == SIDE_BUY ? i : 2 - i]);
            }
            assert_int_equal(row, LADDER_NONE);
            free(l);
        }
    }
}

static void test_ladder_learns(void **state)
{
    (void)state;
    ladder_t *l = make(&(ladder_cfg_t){.tick = 0, .window_ticks = 256, .levels_max = 300, .side = SIDE_SELL});
    for (int64_t i = 0; i < 100; i++) {
        assert_int_not_equal(ladder_take(l, 4800250 + i % 2 * 250 + i * 500), LADDER_NONE);
    }
    assert_int_equal(l->tick, 250);
    assert_int_equal(l->odd, LADDER_NONE);
    assert_int_equal(px_of(l, ladder_best(l)), 4800250);
    const uint32_t row = ladder_find(l, 4800250);
    ladder_take(l, 4800260); /* finer than all before: every level is found as before */
    assert_int_equal(l->tick, 10);
    assert_int_equal(ladder_find(l, 4800250), row);
    assert_int_equal(px_of(l, ladder_worse(l, 4800250)), 4800260);
    assert_int_equal(ladder_count(l), 101);
    ladder_clear(l); /* and forgotten */
    assert_int_equal(l->tick, 0);
    assert_int_equal(ladder_find(l, 4800250), LADDER_NONE);
    ladder_take(l, 0);
    assert_int_equal(l->tick, 0);
    ladder_take(l, LADDER_PX_LIMIT - 1); /* no divisor that a tick may have */
    assert_int_equal(l->tick, 0);
    assert_int_equal(px_of(l, ladder_best(l)), 0);
    ladder_take(l, -75);
    assert_int_equal(l->tick, 3); /* 2^62 - 1 and 75 */
    assert_int_equal(px_of(l, ladder_best(l)), -75);
    free(l);
}

/* ---- 3 ------------------------------------------------------------------------------------------------------------ */

#define MODEL_MAX 600

typedef struct model { /* best first */
    struct {
        int64_t  px, qty;
        uint32_t row;
    } at[MODEL_MAX];
    uint32_t count;
    bool     asks;
} model_t;

/* The first place that is not better than px. */
static uint32_t model_place(const model_t *m, int64_t px)
{
    uint32_t i = 0;
    while (i < m->count && (m->asks ? m->at[i].px < px : m->at[i].px > px)) {
        i++;
    }
    return i;
}

static bool model_has(const model_t *m, uint32_t i, int64_t px)
{
    return i < m->count && m->at[i].px == px;
}

static void agree(const ladder_t *l, const model_t *m)
{
    uint32_t row = ladder_best(l);
    for (uint32_t i = 0; i < m->count; i++) {
        MUST(row == m->at[i].row && row != LADDER_NONE);
        MUST(ladder_level(l, row)->px == m->at[i].px && ladder_level(l, row)->qty == m->at[i].qty);
        MUST(ladder_find(l, m->at[i].px) == row);
        row = ladder_worse(l, m->at[i].px);
    }
    MUST(row == LADDER_NONE && ladder_count(l) == m->count);
}

typedef struct walk {
    uint64_t x;
    int64_t  tick, mid;
    unsigned style; /* how wild */
} walk_t;

static int64_t in_limits(int64_t px)
{
    return px >= LADDER_PX_LIMIT ? LADDER_PX_LIMIT - 1 : px <= -LADDER_PX_LIMIT ? -LADDER_PX_LIMIT + 1 : px;
}

static int64_t random_px(walk_t *w)
{
    const uint64_t k    = seeded_next(&w->x) % 1000;
    const int64_t  tick = w->tick == 0 ? 1 : w->tick;
    if (k < 3 * w->style) { /* anywhere, on a tick or not */
        const int64_t px = (int64_t)(seeded_next(&w->x) >> 1) - LADDER_PX_LIMIT;
        return in_limits(k % 2 ? px : px / tick * tick);
    }
    if (k < 4 * w->style) {
        return k % 2 ? LADDER_PX_LIMIT - 1 - (int64_t)(seeded_next(&w->x) % 3)
                     : -LADDER_PX_LIMIT + 1 + (int64_t)(seeded_next(&w->x) % 3);
    }
    if (k < 6 * w->style) { /* the market moves: a little, or far */
        const int64_t by = (int64_t)(seeded_next(&w->x) % (k % 3 ? 400 : 100000)) - (k % 3 ? 200 : 50000);
        w->mid           = in_limits(w->mid + by * tick) / tick * tick;
    }
    const int64_t near = (int64_t)(seeded_next(&w->x) % (k % 4 ? 40 : 1500)) * (seeded_next(&w->x) % 2 ? 1 : -1);
    const int64_t off  = k % 16 == 0 ? (int64_t)(seeded_next(&w->x) % (uint64_t)tick) : 0;
    return in_limits(w->mid + near * tick + off);
}

static void step(walk_t *w, ladder_t *l, model_t *m, uint32_t levels_max)
{
    const uint64_t k = seeded_next(&w->x) % 16;
    if (k < 7 && m->count > 0) { /* one that is there: often the best */
        const uint32_t i = k < 3 ? 0 : (uint32_t)(seeded_next(&w->x) % m->count);
        ladder_drop(l, m->at[i].row);
        memmove(&m->at[i], &m->at[i + 1], (m->count - i - 1) * sizeof m->at[0]);
        m->count--;
        return;
    }
    const int64_t  px   = random_px(w);
    const uint32_t i    = model_place(m, px);
    const uint32_t next = model_has(m, i, px) ? i + 1 : i;
    MUST(ladder_worse(l, px) == (next < m->count ? m->at[next].row : LADDER_NONE));
    MUST(ladder_find(l, px) == (model_has(m, i, px) ? m->at[i].row : LADDER_NONE));
    const uint32_t row = ladder_take(l, px);
    if (model_has(m, i, px)) {
        MUST(row == m->at[i].row);
    } else if (m->count == levels_max) {
        MUST(row == LADDER_NONE);
    } else {
        MUST(row < levels_max);
        const ladder_level_t *level = ladder_level(l, row);
        MUST(level->px == px && level->qty == 0 && level->count == 0);
        MUST(level->head == LADDER_NONE && level->tail == LADDER_NONE);
        memmove(&m->at[i + 1], &m->at[i], (m->count - i) * sizeof m->at[0]);
        m->at[i].px               = px;
        m->at[i].row              = row;
        m->at[i].qty              = (int64_t)(seeded_next(&w->x) >> 1);
        ladder_level(l, row)->qty = m->at[i].qty;
        m->count++;
    }
    MUST(ladder_best(l) == (m->count > 0 ? m->at[0].row : LADDER_NONE));
}

static void test_ladder_agrees_with_model(void **state)
{
    (void)state;
    static const int64_t ticks[] = {
        0, 1, 2, 3, 10, 250000000, 1000000007, 1LL << 40, LADDER_TICK_MAX, LADDER_TICK_MAX - 1};
    static model_t m;
    uint64_t       x      = seeded_seed("test_ladder");
    const uint64_t rounds = getenv("HWAL_QUICK") != NULL ? 40 : seeded_rounds(200, 20000);
    for (uint64_t round = 0; round < rounds; round++) {
        const uint32_t     levels_max = seeded_next(&x) % 4 == 0 ? 20 : MODEL_MAX;
        const ladder_cfg_t cfg        = {.tick         = ticks[seeded_next(&x) % (sizeof ticks / sizeof *ticks)],
                                         .window_ticks = 256u << seeded_next(&x) % (seeded_next(&x) % 8 ? 3 : 9),
                                         .levels_max   = levels_max,
                                         .side         = seeded_next(&x) % 2 ? SIDE_BUY : SIDE_SELL};
        walk_t             w = {.x = seeded_next(&x), .tick = cfg.tick, .style = (unsigned)(seeded_next(&x) % 3) * 10};
        const unsigned     steps = 2000;
        ladder_t          *l     = make(&cfg);
        m.count                  = 0;
        m.asks                   = cfg.side == SIDE_SELL;
        for (unsigned i = 0; i < steps; i++) {
            step(&w, l, &m, levels_max);
            if (i % 64 == 0) {
                agree(l, &m);
            }
            if (seeded_next(&x) % 1000 == 0) {
                ladder_clear(l);
                m.count = 0;
            }
        }
        while (m.count > 0) { /* a crash: the best goes, again and again */
            ladder_drop(l, m.at[0].row);
            m.count--;
            memmove(&m.at[0], &m.at[1], m.count * sizeof m.at[0]);
            MUST(ladder_best(l) == (m.count > 0 ? m.at[0].row : LADDER_NONE));
        }
        agree(l, &m);
        free(l);
    }
}

/* A market that falls or rises tick by tick, with levels put near its best: the window follows, and what it left far
 * behind is found again on the way back. */
static void test_ladder_follows(void **state)
{
    (void)state;
    for (unsigned asks = 0; asks < 2; asks++) {
        ladder_t *l = make(&(ladder_cfg_t){
            .tick = 5, .window_ticks = 256, .levels_max = 2 * MODEL_MAX, .side = asks ? SIDE_SELL : SIDE_BUY});
        for (int64_t t = 0; t < 500; t++) { /* better and better */
            ladder_take(l, (asks ? -t : t) * 5);
        }
        for (int64_t t = 499; t >= 0; t--) { /* worse and worse, each with one that comes far below */
            const int64_t sign = asks ? -1 : 1;
            MUST(px_of(l, ladder_best(l)) == sign * t * 5);
            ladder_drop(l, ladder_best(l));
            ladder_take(l, sign * (t - 500) * 5);
            MUST(ladder_count(l) == 500);
            MUST(px_of(l, ladder_worse(l, sign * (t - 500) * 5)) == INT64_MIN);
            MUST(px_of(l, ladder_worse(l, sign * t * 5)) == sign * (t - 1) * 5);
        }
        free(l);
    }
}

/* ---- 4 ------------------------------------------------------------------------------------------------------------ */

static void test_ladder_copy_goes_on(void **state)
{
    (void)state;
    static model_t     m, m2;
    const ladder_cfg_t cfg = {.tick = 3, .window_ticks = 512, .levels_max = MODEL_MAX, .side = SIDE_SELL};
    const size_t       len = ladder_footprint(&cfg);
    ladder_t          *l   = make(&cfg);
    walk_t             w   = {.x = seeded_seed("test_ladder copy"), .tick = 3, .style = 10};
    m.count                = 0;
    m.asks                 = true;
    for (unsigned i = 0; i < 1000; i++) {
        step(&w, l, &m, MODEL_MAX);
    }
    ladder_t *copy = aligned_alloc(64, len);
    memcpy(copy, l, len);
    walk_t w2 = w;
    m2        = m;
    for (unsigned i = 0; i < 1000; i++) {
        step(&w, l, &m, MODEL_MAX);
        step(&w2, copy, &m2, MODEL_MAX);
    }
    assert_memory_equal(l, copy, len);
    agree(copy, &m2);
    free(copy);
    free(l);
}

/* A price that comes and goes far from all the others, on either side: the window stays with the others but for one slide
 * in about as many calls as there are levels, and answers are right all the time. */
static void test_ladder_waits_before_it_follows(void **state)
{
    (void)state;
    const ladder_cfg_t cfg = {.tick = 1, .window_ticks = 256, .levels_max = 400, .side = SIDE_BUY};
    ladder_t          *l   = ladder_new(aligned_alloc(64, ladder_footprint(&cfg)), &cfg);
    for (int64_t px = 1; px <= 200; px++) {
        assert_int_not_equal(ladder_take(l, px), LADDER_NONE);
    }
    unsigned slides = 0;
    for (unsigned i = 0; i < 4000; i++) {
        const uint64_t base = l->base;
        const int64_t  far  = 10000 + i % 3 * 5000;
        const uint32_t row  = ladder_take(l, far);
        assert_int_equal(ladder_best(l), row);
        assert_int_equal(ladder_find(l, far), row);
        assert_int_equal(ladder_level(l, ladder_worse(l, far))->px, 200);
        ladder_drop(l, row);
        assert_int_equal(ladder_level(l, ladder_best(l))->px, 200);
        assert_int_equal(ladder_level(l, ladder_worse(l, 200))->px, 199);
        slides += l->base != base;
    }
    assert_in_range(slides, 1, 8000 / 200);
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ladder_life),
        cmocka_unit_test(test_ladder_by_hand),
        cmocka_unit_test(test_ladder_begins_odd),
        cmocka_unit_test(test_ladder_learns),
        cmocka_unit_test(test_ladder_agrees_with_model),
        cmocka_unit_test(test_ladder_follows),
        cmocka_unit_test(test_ladder_copy_goes_on),
        cmocka_unit_test(test_ladder_waits_before_it_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
