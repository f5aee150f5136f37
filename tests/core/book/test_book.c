/* book: what is checked here
 *
 *  1. life: sizes out of limits refused; a new book is BROKEN/START; join refuses what is no book
 *  2. every edge of the health machine, and that a fault leaves the book BROKEN until a snapshot completes
 *  3. each fault, each with its error, its reason and a sentence
 *  4. a price is accepted exactly when it is on the tick table (one band: every tick 1..300; several bands; negatives)
 *  5. against the slow model (unsorted arrays, linear search): best, counts, levels, quantities, depth, walk, after
 *     every complete message of random histories: far prices, re-centring both ways, band edges, extreme prices,
 *     snapshots
 *  6. far levels full is LIMIT, and the book is whole again after a snapshot
 *  7. hash: equal for equal contents by whatever path and window, different after any single change
 *  8. the block's bytes are a snapshot: a copy continues as the original does
 *  9. messages of one level to a LIVE book, where the short way is taken: every price around a book, at the lowest price
 *     and at both ends of the numbers, is accepted exactly when it is valid
 * 10. the best that is shown after a fault, an age or the feed's word is that of the last complete message, also when
 *     the message before took the short way
 * 11. a message that book_within says is beyond the best n changes none of them
 * 12. the hash of one history is the number that it has always been: journals hold it
 *
 * Random histories print their seed; HWAL_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/book/book.h"

/* ---- the slow model ---------------------------------------------------------------------------------------------- */

#define MODEL_MAX 8192

typedef struct model {
    level_t  levels[2][MODEL_MAX];
    uint32_t count[2];
} model_t;

static void model_set(model_t *m, unsigned s, int64_t px, int64_t qty)
{
    for (uint32_t i = 0; i < m->count[s]; i++) {
        if (m->levels[s][i].px == px) {
            m->levels[s][i].qty = qty;
            if (qty == 0) {
                m->levels[s][i] = m->levels[s][--m->count[s]];
            }
            return;
        }
    }
    if (qty != 0) {
        assert_true(m->count[s] < MODEL_MAX);
        m->levels[s][m->count[s]++] = (level_t){px, qty};
    }
}

static bool better(unsigned s, int64_t a, int64_t b)
{
    return s == 0 ? a > b : a < b;
}

static int by_px(const void *a, const void *b)
{
    const int64_t x = ((const level_t *)a)->px;
    const int64_t y = ((const level_t *)b)->px;
    return x < y ? -1 : x > y;
}

static void model_sort(model_t *m) /* best first */
{
    for (unsigned s = 0; s < 2; s++) {
        qsort(m->levels[s], m->count[s], sizeof(level_t), by_px);
        for (uint32_t i = 0; s == 0 && i < m->count[0] / 2; i++) {
            const level_t swap                = m->levels[0][i];
            m->levels[0][i]                   = m->levels[0][m->count[0] - 1 - i];
            m->levels[0][m->count[0] - 1 - i] = swap;
        }
    }
}

/* ---- making books and messages ----------------------------------------------------------------------------------- */

static instrument_t instrument(const tick_band_t *bands, uint32_t count, bool negative)
{
    const instrument_def_t def = {.instrument_id  = 7,
                                  .venue_id       = 1,
                                  .kind           = INSTRUMENT_LINEAR,
                                  .allow_negative = negative,
                                  .px_exp         = 2,
                                  .qty_exp        = 3,
                                  .money_exp      = 2,
                                  .settle_ccy     = ccy_pack("USD"),
                                  .lot            = 1,
                                  .mult           = 1};
    instrument_t           ins;
    assert_int_equal(instrument_init(&ins, &def, "TEST", bands, count), ERR_OK);
    return ins;
}

static book_t *make(book_cfg_t cfg, const instrument_t *ins)
{
    const size_t bytes = book_footprint(&cfg);
    assert_true(bytes > 0 && bytes % book_align() == 0);
    void *mem = aligned_alloc(book_align(), bytes);
    memset(mem, 0xa5, bytes);
    book_t *book = book_new(mem, &cfg, ins);
    assert_non_null(book);
    return book;
}

static book_t *make_plain(int64_t tick)
{
    const tick_band_t  band = {0, tick};
    const instrument_t ins  = instrument(&band, 1, false);
    return make((book_cfg_t){0}, &ins);
}

/* One part: bids and asks as pairs of px, qty. */
static err_t part(book_t *book, uint32_t flags, uint64_t rpt_seq, const level_t *levels, uint16_t bids, uint16_t asks)
{
    const book_update_t upd = {.instrument_id = 7,
                               .flags         = flags,
                               .rpt_seq       = rpt_seq,
                               .venue_seq     = 1000 + rpt_seq,
                               .bid_count     = bids,
                               .ask_count     = asks};
    return book_apply(book, &upd, levels, (int64_t)rpt_seq * 10);
}

#define WHOLE (BOOK_FLAG_FIRST | BOOK_FLAG_LAST)
#define SNAP_WHOLE (BOOK_FLAG_SNAPSHOT | WHOLE)

static void assert_best(const book_t *book, int64_t bid_px, int64_t bid_qty, int64_t ask_px, int64_t ask_qty)
{
    int64_t    bp, bq, ap, aq;
    const bool live = book_best(book, &bp, &bq, &ap, &aq);
    assert_int_equal(live, book_health(book) == FEED_LIVE);
    assert_int_equal(bp, bid_px);
    assert_int_equal(bq, bid_qty);
    assert_int_equal(ap, ask_px);
    assert_int_equal(aq, ask_qty);
}

static void assert_state(const book_t *book, feed_health_t health, feed_reason_t reason)
{
    assert_string_equal(feed_health_str(book_health(book)), feed_health_str(health));
    assert_string_equal(feed_reason_str(book_reason(book)), feed_reason_str(reason));
}

static book_t *make_live(void) /* tick 5; 100 x 1, 95 x 2 / 105 x 3, 110 x 4; rpt_seq 1 */
{
    book_t *book = make_plain(5);
    assert_int_equal(part(book, SNAP_WHOLE, 1, (level_t[]){{100, 1}, {95, 2}, {105, 3}, {110, 4}}, 2, 2), ERR_OK);
    assert_state(book, FEED_LIVE, FEED_REASON_NONE);
    return book;
}

/* ---- life and health --------------------------------------------------------------------------------------------- */

static void test_book_life(void **state)
{
    (void)state;
    static const uint32_t bad[] = {1, 32, 63, 100, 4095, 1u << 31};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(book_footprint(&(book_cfg_t){.window_ticks = bad[i]}), 0);
        assert_non_null(strstr(err_msg(), "window_ticks"));
        assert_int_equal(book_footprint(&(book_cfg_t){.far_slots = bad[i]}), 0);
        assert_non_null(strstr(err_msg(), "far_slots"));
    }
    assert_int_equal(book_footprint(&(book_cfg_t){.window_ticks = 1u << 19}), 0);
    const tick_band_t  band = {0, 1};
    const instrument_t ins  = instrument(&band, 1, false);
    const book_cfg_t   odd  = {.window_ticks = 65};
    _Alignas(64) char  block[sizeof(book_t)];
    assert_null(book_new(block, &odd, &ins));
    memset(block, 0, sizeof block);
    assert_null(book_join(block));
    assert_non_null(strstr(err_msg(), "book"));

    book_t *book = make_plain(5);
    assert_ptr_equal(book_join(book), book);
    assert_state(book, FEED_BROKEN, FEED_REASON_START);
    assert_best(book, 0, 0, 0, 0);
    assert_int_equal(part(book, WHOLE, 9, (level_t[]){{100, 1}}, 1, 0), ERR_AGAIN);
    assert_int_equal(book_level_count(book, SIDE_BUY), 0);
    assert_int_equal(book_rpt_seq(book), 9);
    assert_int_equal(book_venue_seq(book), 0);
    assert_state(book, FEED_BROKEN, FEED_REASON_START);
    free(book);
}

static void test_book_snapshot_in_parts(void **state)
{
    (void)state;
    book_t *book = make_plain(5);
    assert_int_equal(part(book, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST, 40, (level_t[]){{100, 1}}, 1, 0), ERR_OK);
    assert_state(book, FEED_RECOVERING, FEED_REASON_START);
    assert_int_equal(part(book, BOOK_FLAG_SNAPSHOT, 41, (level_t[]){{95, 2}, {105, 3}}, 1, 1), ERR_OK);
    assert_state(book, FEED_RECOVERING, FEED_REASON_START);
    assert_best(book, 0, 0, 0, 0);
    assert_int_equal(part(book, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_LAST, 42, NULL, 0, 0), ERR_OK);
    assert_state(book, FEED_LIVE, FEED_REASON_NONE);
    assert_best(book, 100, 1, 105, 3);
    assert_int_equal(book_venue_seq(book), 1042);
    assert_int_equal(book_updated_mono_ns(book), 420);

    /* a diff in parts: best is that of the last complete message until LAST */
    assert_int_equal(part(book, BOOK_FLAG_FIRST, 43, (level_t[]){{100, 0}, {95, 7}}, 2, 0), ERR_OK);
    assert_state(book, FEED_LIVE, FEED_REASON_NONE);
    assert_best(book, 100, 1, 105, 3);
    assert_int_equal(book_qty_at(book, SIDE_BUY, 95), 7);
    assert_int_equal(part(book, BOOK_FLAG_LAST, 44, (level_t[]){{105, 8}}, 0, 1), ERR_OK);
    assert_best(book, 95, 7, 105, 8);

    /* a refresh replaces everything */
    assert_int_equal(part(book, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST, 45, (level_t[]){{50, 1}}, 1, 0), ERR_OK);
    assert_state(book, FEED_RECOVERING, FEED_REASON_NONE);
    assert_int_equal(part(book, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_LAST, 46, NULL, 0, 0), ERR_OK);
    assert_best(book, 50, 1, 0, 0);
    assert_int_equal(book_level_count(book, SIDE_BUY), 1);
    assert_int_equal(book_level_count(book, SIDE_SELL), 0);
    free(book);
}

static void heal(book_t *book, uint64_t rpt_seq)
{
    assert_int_equal(part(book, WHOLE, rpt_seq, (level_t[]){{100, 9}}, 1, 0), ERR_AGAIN);
    assert_int_equal(book_health(book), FEED_BROKEN);
    assert_int_equal(part(book, SNAP_WHOLE, rpt_seq + 5, (level_t[]){{100, 1}, {105, 3}}, 1, 1), ERR_OK);
    assert_state(book, FEED_LIVE, FEED_REASON_NONE);
    assert_best(book, 100, 1, 105, 3);
}

static void test_book_faults(void **state)
{
    (void)state;
    static const level_t many[65] = {{100, 1}};
    const struct {
        const char   *name;
        uint32_t      flags;
        uint64_t      rpt_seq;
        level_t       level;
        uint16_t      bids, asks;
        err_t         err;
        feed_reason_t reason;
        const char   *word;
    } cases[] = {
        {"gap", WHOLE, 3, {95, 1}, 1, 0, ERR_GAP, FEED_REASON_LOST, "2 was due"},
        {"repeat", WHOLE, 1, {95, 1}, 1, 0, ERR_GAP, FEED_REASON_LOST, "rpt_seq is 1"},
        {"no first", BOOK_FLAG_LAST, 2, {95, 1}, 1, 0, ERR_STATE, FEED_REASON_GARBLED, "first"},
        {"snapshot tail", BOOK_FLAG_SNAPSHOT, 2, {95, 1}, 1, 0, ERR_STATE, FEED_REASON_GARBLED, "flags"},
        {"crossed", WHOLE, 2, {110, 1}, 1, 0, ERR_CROSSED, FEED_REASON_CROSSED, "110"},
        {"locked", WHOLE, 2, {100, 1}, 0, 1, ERR_CROSSED, FEED_REASON_CROSSED, "100"},
        {"off tick", WHOLE, 2, {97, 1}, 1, 0, ERR_SCALE, FEED_REASON_SCALE, "tick 5"},
        {"off tick, removal", WHOLE, 2, {97, 0}, 1, 0, ERR_SCALE, FEED_REASON_SCALE, "97"},
        {"zero px", WHOLE, 2, {0, 1}, 1, 0, ERR_RANGE, FEED_REASON_GARBLED, "above 0"},
        {"negative px", WHOLE, 2, {-5, 1}, 1, 0, ERR_RANGE, FEED_REASON_GARBLED, "-5"},
        {"lowest px", WHOLE, 2, {INT64_MIN, 1}, 0, 1, ERR_RANGE, FEED_REASON_GARBLED, "px"},
        {"highest px", WHOLE, 2, {INT64_MAX, 1}, 0, 1, ERR_SCALE, FEED_REASON_SCALE, "9223372036854775807"},
        {"negative qty", WHOLE, 2, {95, -1}, 1, 0, ERR_RANGE, FEED_REASON_GARBLED, "qty"},
        {"lowest qty", WHOLE, 2, {95, INT64_MIN}, 1, 0, ERR_RANGE, FEED_REASON_GARBLED, "qty"},
        {"65 levels", WHOLE, 2, {95, 1}, 60, 5, ERR_ARG, FEED_REASON_GARBLED, "65"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        book_t *book = make_live();
        err_set(ERR_OK, "none");
        const level_t *levels = cases[i].bids + cases[i].asks > 64 ? many : &cases[i].level;
        const err_t    err    = part(book, cases[i].flags, cases[i].rpt_seq, levels, cases[i].bids, cases[i].asks);
        if (err != cases[i].err || strstr(err_msg(), cases[i].word) == NULL || strstr(err_msg(), "TEST") == NULL) {
            fail_msg("%s: %s, %s", cases[i].name, err_str(err), err_msg());
        }
        assert_state(book, FEED_BROKEN, cases[i].reason);
        assert_best(book, 100, 1, 105, 3); /* the last that held */
        heal(book, cases[i].rpt_seq + 1);
        free(book);
    }
}

/* The third level of a message is bad: what came before must not be shown as a good book, whatever follows. */
static void test_book_half_applied_is_broken(void **state)
{
    (void)state;
    book_t *book = make_live();
    assert_int_equal(part(book, BOOK_FLAG_FIRST, 2, (level_t[]){{100, 0}, {90, 5}, {97, 1}}, 3, 0), ERR_SCALE);
    assert_state(book, FEED_BROKEN, FEED_REASON_SCALE);
    assert_int_equal(part(book, BOOK_FLAG_LAST, 3, (level_t[]){{85, 1}}, 1, 0), ERR_AGAIN);
    assert_state(book, FEED_BROKEN, FEED_REASON_SCALE);
    heal(book, 4);

    /* a message without its LAST, then the next one */
    assert_int_equal(part(book, BOOK_FLAG_FIRST, 10, (level_t[]){{90, 5}}, 1, 0), ERR_OK);
    assert_int_equal(part(book, WHOLE, 11, (level_t[]){{85, 1}}, 1, 0), ERR_STATE);
    heal(book, 12);

    /* a snapshot torn by a gap, by a diff, by the adapter */
    for (unsigned how = 0; how < 3; how++) {
        const uint64_t seq = 30 + how * 20;
        assert_int_equal(part(book, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST, seq, (level_t[]){{95, 5}}, 1, 0), ERR_OK);
        if (how == 0) {
            assert_int_equal(part(book, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_LAST, seq + 2, NULL, 0, 0), ERR_GAP);
        } else if (how == 1) {
            assert_int_equal(part(book, BOOK_FLAG_LAST, seq + 1, NULL, 0, 0), ERR_STATE);
        } else {
            const feed_state_t broken = {.health = FEED_BROKEN, .reason = FEED_REASON_GAP};
            assert_int_equal(book_feed(book, &broken, 1), ERR_OK);
            assert_int_equal(part(book, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_LAST, seq + 1, NULL, 0, 0), ERR_AGAIN);
        }
        heal(book, seq + 3);
    }
    /* a snapshot that begins anew before it ended is a good one */
    assert_int_equal(part(book, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST, 200, (level_t[]){{95, 5}}, 1, 0), ERR_OK);
    assert_int_equal(part(book, SNAP_WHOLE, 201, (level_t[]){{90, 5}}, 1, 0), ERR_OK);
    assert_best(book, 90, 5, 0, 0);
    assert_int_equal(book_level_count(book, SIDE_BUY), 1);
    free(book);
}

static void test_book_feed_and_age(void **state)
{
    (void)state;
    book_t            *book = make_live(); /* updated at 10 */
    const feed_state_t live = {.health = FEED_LIVE};
    assert_false(book_age(book, 110, 100));
    assert_true(book_age(book, 111, 100));
    assert_false(book_age(book, 112, 100)); /* told once */
    assert_state(book, FEED_STALE, FEED_REASON_AGE);
    assert_int_equal(part(book, BOOK_FLAG_FIRST, 2, (level_t[]){{95, 4}}, 1, 0), ERR_OK);
    assert_state(book, FEED_STALE, FEED_REASON_AGE); /* not complete yet */
    assert_int_equal(part(book, BOOK_FLAG_LAST, 3, NULL, 0, 0), ERR_OK);
    assert_state(book, FEED_LIVE, FEED_REASON_NONE);

    assert_true(book_age(book, 131, 100));
    assert_int_equal(part(book, WHOLE, 4, (level_t[]){{95, 5}}, 1, 0), ERR_OK); /* at 40, in one part */
    assert_state(book, FEED_LIVE, FEED_REASON_NONE);
    assert_int_equal(book_updated_mono_ns(book), 40);

    const feed_state_t stale = {.health = FEED_STALE};
    assert_int_equal(book_feed(book, &stale, 50), ERR_OK);
    assert_state(book, FEED_STALE, FEED_REASON_AGE);
    assert_int_equal(book_feed(book, &live, 60), ERR_OK);
    assert_state(book, FEED_LIVE, FEED_REASON_NONE);
    assert_int_equal(book_updated_mono_ns(book), 60);

    const feed_state_t broken = {.health = FEED_BROKEN, .reason = FEED_REASON_GAP};
    const feed_state_t recov  = {.health = FEED_RECOVERING, .reason = FEED_REASON_GAP};
    assert_int_equal(book_feed(book, &broken, 70), ERR_OK);
    assert_state(book, FEED_BROKEN, FEED_REASON_GAP);
    assert_int_equal(book_feed(book, &live, 70), ERR_OK); /* heals nothing */
    assert_int_equal(book_feed(book, &stale, 70), ERR_OK);
    assert_false(book_age(book, 1000, 1));
    assert_state(book, FEED_BROKEN, FEED_REASON_GAP);
    assert_int_equal(book_feed(book, &recov, 70), ERR_OK);
    assert_state(book, FEED_RECOVERING, FEED_REASON_GAP);
    assert_int_equal(part(book, WHOLE, 5, (level_t[]){{95, 4}}, 1, 0), ERR_AGAIN);
    assert_state(book, FEED_RECOVERING, FEED_REASON_GAP);
    assert_int_equal(part(book, SNAP_WHOLE, 6, (level_t[]){{100, 1}}, 1, 0), ERR_OK);
    assert_state(book, FEED_LIVE, FEED_REASON_NONE);

    const feed_state_t odd[] = {{.health = 0}, {.health = 5}, {.health = FEED_LIVE, .reason = FEED_REASON_COUNT}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(book_feed(book, &odd[i], 80), ERR_ARG);
        assert_state(book, FEED_BROKEN, FEED_REASON_GARBLED);
        assert_int_equal(part(book, SNAP_WHOLE, 6, (level_t[]){{100, 1}}, 1, 0), ERR_OK);
    }
    free(book);
}

/* ---- ticks ------------------------------------------------------------------------------------------------------- */

static bool accepts(book_t *book, int64_t px) /* as the only level of a snapshot; and gives it back unchanged */
{
    const err_t err = part(book, SNAP_WHOLE, 1, (level_t[]){{px, 3}}, 0, 1);
    if (err == ERR_OK) {
        assert_best(book, 0, 0, px, 3);
        assert_int_equal(book_qty_at(book, SIDE_SELL, px), 3);
        assert_int_equal(book_qty_at(book, SIDE_BUY, px), 0);
        assert_int_equal(part(book, SNAP_WHOLE, 1, (level_t[]){{px, 4}}, 1, 0), ERR_OK);
        assert_best(book, px, 4, 0, 0);
    }
    return err == ERR_OK;
}

static void test_book_tick_of_one_band(void **state)
{
    (void)state;
    const book_cfg_t small = {.window_ticks = 64, .far_slots = 64};
    for (int64_t tick = 1; tick <= 300; tick++) {
        const tick_band_t  band = {0, tick};
        const instrument_t plus = instrument(&band, 1, false);
        const instrument_t both = instrument(&band, 1, true);
        book_t            *p    = make(small, &plus);
        book_t            *b    = make(small, &both);
        for (int64_t px = -310; px <= 310; px++) {
            assert_int_equal(accepts(b, px), px % tick == 0);
            assert_int_equal(accepts(p, px), px % tick == 0 && px > 0);
        }
        for (int64_t i = 0; i <= 310; i++) {
            assert_int_equal(accepts(b, INT64_MAX - i), (INT64_MAX - i) % tick == 0);
            assert_int_equal(accepts(b, INT64_MIN + i), (INT64_MIN + i) % tick == 0);
        }
        free(p);
        free(b);
    }
    static const int64_t large[] = {1000000007, 1LL << 40, 3LL << 60, (1LL << 62) + 2, INT64_MAX, 999999999999};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        const tick_band_t  band = {0, large[i]};
        const instrument_t both = instrument(&band, 1, true);
        book_t            *b    = make(small, &both);
        for (int64_t n = INT64_MIN / large[i]; n <= INT64_MAX / large[i] && n < INT64_MIN / large[i] + 50; n++) {
            assert_true(accepts(b, n * large[i]));
            assert_false(accepts(b, n * large[i] + 1));
            assert_false(accepts(b, n * large[i] + large[i] / 2));
        }
        free(b);
    }
}

/* Upbit and KRX in their shape; bands that shrink upwards, edges off the lower grid, negative edges. */
static const tick_band_t krx[]      = {{0, 1}, {2000, 5}, {5000, 10}, {20000, 50}, {50000, 100}, {200000, 500}};
static const tick_band_t edges[]    = {{-90, 9}, {-20, 5}, {0, 7}, {30, 3}, {100, 20}};
static const tick_band_t negative[] = {{-1000, 10}, {-500, 4}, {-3, 1}};
static const tick_band_t one[]      = {{0, 1}};
static const tick_band_t six[]      = {{0, 6}};

static void test_book_tick_of_bands(void **state)
{
    (void)state;
    const struct {
        const tick_band_t *bands;
        uint32_t           count;
    } tables[] = {{krx, 6}, {edges, 5}, {negative, 3}};
    for (size_t t = 0; t < 3; t++) {
        const instrument_t ins  = instrument(tables[t].bands, tables[t].count, true);
        book_t            *book = make((book_cfg_t){.window_ticks = 64, .far_slots = 64}, &ins);
        for (int64_t px = -1200; px <= 6000; px++) {
            assert_int_equal(accepts(book, px), instrument_on_tick(&ins, px));
        }
        for (int64_t i = 0; i <= 1100; i++) {
            assert_int_equal(accepts(book, INT64_MAX - i), instrument_on_tick(&ins, INT64_MAX - i));
            assert_int_equal(accepts(book, INT64_MIN + i), instrument_on_tick(&ins, INT64_MIN + i));
        }
        free(book);
    }
    /* prices <= 0 stay refused where the instrument forbids them */
    const instrument_t plus = instrument(krx, 6, false);
    book_t            *book = make((book_cfg_t){0}, &plus);
    assert_false(accepts(book, 0));
    assert_false(accepts(book, -5));
    assert_true(accepts(book, 1));
    free(book);
}

/* ---- the random histories ---------------------------------------------------------------------------------------- */

static uint64_t rng_state;

static uint64_t rnd(void) /* splitmix64 */
{
    uint64_t z = rng_state += 0x9e3779b97f4a7c15u;
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int64_t rnd_in(int64_t lo, int64_t hi)
{
    return lo + (int64_t)(rnd() % (uint64_t)(hi - lo + 1));
}

static void seed_set(void)
{
    const char *text = getenv("HWAL_SEED");
    rng_state        = text != NULL ? strtoull(text, NULL, 0) : 20260115;
    printf("seed %llu\n", (unsigned long long)rng_state);
}

static void compare(const book_t *book, model_t *m)
{
    static level_t out[MODEL_MAX];
    model_sort(m);
    const level_t bid = m->count[0] > 0 ? m->levels[0][0] : (level_t){0};
    const level_t ask = m->count[1] > 0 ? m->levels[1][0] : (level_t){0};
    assert_best(book, bid.px, bid.qty, ask.px, ask.qty);
    for (unsigned s = 0; s < 2; s++) {
        const side_t   side  = s == 0 ? SIDE_BUY : SIDE_SELL;
        const uint32_t count = m->count[s];
        assert_int_equal(book_level_count(book, side), count);
        const uint32_t max = rnd() % 4 == 0 ? MODEL_MAX : (uint32_t)rnd() % 40;
        const uint32_t got = book_levels(book, side, out, max);
        assert_int_equal(got, max < count ? max : count);
        assert_memory_equal(out, m->levels[s], got * sizeof(level_t));
        if (count == 0) {
            continue;
        }
        const level_t at = m->levels[s][rnd() % count];
        assert_int_equal(book_qty_at(book, side, at.px), at.qty);
        const int64_t limit = at.px > INT64_MIN && at.px < INT64_MAX ? at.px + rnd_in(-1, 1) : at.px;
        int64_t       sum   = 0;
        for (uint32_t i = 0; i < count && !better(s, limit, m->levels[s][i].px); i++) {
            sum += m->levels[s][i].qty;
        }
        assert_int_equal(book_depth_within(book, side, limit), sum);
        if (rnd() % 16 == 0) {
            uint32_t i = 0;
            level_t  level;
            for (book_iter_t it = book_iter(book, side); i < 300 && book_iter_next(&it, &level); i++) {
                assert_true(i < count);
                assert_memory_equal(&level, &m->levels[s][i], sizeof level);
            }
            assert_int_equal(i, count < 300 ? count : 300);
        }
    }
}

/* A price near mid, somewhere far, or at an end of the numbers; on the grid, on the right side of mid. */
static int64_t draw_px(const instrument_t *ins, unsigned s, int64_t mid, int64_t near_ticks, bool extremes)
{
    const int64_t  tick = instrument_tick_at(ins, mid);
    const uint64_t kind = rnd() % 100;
    int64_t        away = rnd_in(1, near_ticks) * tick;
    if (kind >= 97 && extremes) {
        away = s == 0 ? (ins->def.allow_negative ? mid / 2 - INT64_MIN / 2 : mid - 1) : INT64_MAX - mid;
        away -= rnd_in(0, 300) * tick;
    } else if (kind >= 85) {
        away *= rnd_in(1, 400);
    }
    int64_t px = 0;
    if (s == 0 ? __builtin_sub_overflow(mid, away, &px) : __builtin_add_overflow(mid, away, &px)) {
        px = mid;
    }
    px = s == 0 ? instrument_round_down(ins, px) : instrument_round_up(ins, px);
    return px <= 0 && !ins->def.allow_negative ? instrument_round_up(ins, 1) : px;
}

typedef struct history {
    const char        *name;
    const tick_band_t *bands;
    uint32_t           band_count;
    bool               negative;
    bool               extremes;
    book_cfg_t         cfg;
    int64_t            mid;
    int64_t            step_ticks; /* of the random walk */
    int64_t            near_ticks;
    unsigned           messages;
} history_t;

/* One venue message of n levels in parts; the model takes what the book takes. Returns what the last part returned. */
static err_t send(book_t *book, uint64_t *rpt_seq, bool snapshot, level_t *bids, uint32_t bid_n, level_t *asks,
                  uint32_t ask_n)
{
    uint32_t b = 0;
    uint32_t a = 0;
    err_t    err;
    uint32_t flags = BOOK_FLAG_FIRST | (snapshot ? BOOK_FLAG_SNAPSHOT : 0);
    do {
        level_t        part_levels[64];
        const uint32_t most = 1 + (uint32_t)rnd() % 64;
        const uint32_t pb   = bid_n - b < most ? bid_n - b : most;
        const uint32_t pa   = ask_n - a < most - pb ? ask_n - a : most - pb;
        memcpy(part_levels, bids + b, pb * sizeof(level_t));
        memcpy(part_levels + pb, asks + a, pa * sizeof(level_t));
        b += pb;
        a += pa;
        flags |= b == bid_n && a == ask_n ? BOOK_FLAG_LAST : 0;
        err   = part(book, flags, ++*rpt_seq, part_levels, (uint16_t)pb, (uint16_t)pa);
        flags = snapshot ? BOOK_FLAG_SNAPSHOT : 0;
    } while (err == ERR_OK && (b < bid_n || a < ask_n));
    return err;
}

/* A message that never crosses: whatever the other side of the model stands at, a level that would cross it is removed
 * there by the same message, as a venue would. */
static uint32_t draw_levels(const history_t *h, const instrument_t *ins, model_t *m, unsigned s, int64_t mid,
                            level_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->count[s] && n < 2000; i++) { /* what the moved mid has run over */
        if (!better(s, mid, m->levels[s][i].px)) {
            out[n++] = (level_t){m->levels[s][i].px, 0};
        }
    }
    const uint32_t fresh = (uint32_t)(rnd() % (rnd() % 20 == 0 ? 150 : 6));
    for (uint32_t i = 0; i < fresh; i++) {
        if (m->count[s] > 0 && rnd() % 100 < (m->count[s] > 1200 ? 90 : 45)) {
            const level_t old = m->levels[s][rnd() % m->count[s]];
            if (better(s, mid, old.px)) {
                out[n++] = (level_t){old.px, rnd() % 2 == 0 ? 0 : rnd_in(1, 1000)};
            }
        } else {
            const int64_t px = draw_px(ins, s, mid, h->near_ticks, h->extremes);
            if (better(s, mid, px)) {
                out[n++] = (level_t){px, rnd() % 10 == 0 ? 0 : rnd_in(1, 1000)};
            }
        }
    }
    return n;
}

static void run_history(const history_t *h)
{
    static model_t     m;
    static level_t     bids[MODEL_MAX], asks[MODEL_MAX];
    const instrument_t ins     = instrument(h->bands, h->band_count, h->negative);
    book_t            *book    = make(h->cfg, &ins);
    uint64_t           rpt_seq = 0;
    int64_t            mid     = h->mid;
    unsigned           limits  = 0;
    memset(&m, 0, sizeof m);
    for (unsigned i = 0; i < h->messages; i++) {
        mid += rnd_in(-h->step_ticks, h->step_ticks) * instrument_tick_at(&ins, mid) * (rnd() % 50 == 0 ? 60 : 1);
        mid                 = !h->negative && mid < 50 ? 50 : mid;
        const bool snapshot = i == 0 || book_health(book) == FEED_BROKEN || rnd() % 400 == 0;
        if (snapshot && i > 0 && rnd() % 2 == 0) {
            memset(&m, 0, sizeof m); /* another book; else the same one again */
        }
        uint32_t bid_n = draw_levels(h, &ins, &m, 0, mid, bids);
        uint32_t ask_n = draw_levels(h, &ins, &m, 1, mid, asks);
        for (uint32_t k = 0; k < bid_n; k++) {
            model_set(&m, 0, bids[k].px, bids[k].qty);
        }
        for (uint32_t k = 0; k < ask_n; k++) {
            model_set(&m, 1, asks[k].px, asks[k].qty);
        }
        if (snapshot) {
            memcpy(bids, m.levels[0], (bid_n = m.count[0]) * sizeof(level_t));
            memcpy(asks, m.levels[1], (ask_n = m.count[1]) * sizeof(level_t));
        }
        const err_t err = send(book, &rpt_seq, snapshot, bids, bid_n, asks, ask_n);
        if (err == ERR_LIMIT && h->cfg.far_slots <= 1024) {
            assert_state(book, FEED_BROKEN, FEED_REASON_LIMIT);
            memset(&m, 0, sizeof m); /* a smaller book, so that it fits again */
            limits++;
            continue;
        }
        if (err != ERR_OK) {
            fail_msg("%s, message %u: %s", h->name, i, err_msg());
        }
        assert_state(book, FEED_LIVE, FEED_REASON_NONE);
        compare(book, &m);
    }
    printf("  %-12s %u messages, %u parts, %u + %u levels at the end, far full %u times\n", h->name, h->messages,
           (unsigned)rpt_seq, m.count[0], m.count[1], limits);
    assert_true((limits > 0) == (h->cfg.far_slots == 64));
    free(book);
}

static void test_book_equals_slow_model(void **state)
{
    (void)state;
    seed_set();
    static const history_t histories[] = {
        {"default", six, 1, false, false, {0, 0}, 600000, 3, 200, 4000},
        {"narrow", one, 1, false, true, {64, 4096}, 100000, 30, 40, 4000},
        {"narrow full", one, 1, false, true, {64, 64}, 100000, 30, 40, 4000},
        {"extremes", six, 1, true, true, {256, 8192}, 0, 100, 90, 4000},
        {"bands", krx, 6, false, true, {64, 4096}, 19500, 5, 60, 4000},
        {"odd bands", edges, 5, true, true, {128, 4096}, 0, 5, 30, 4000},
        {"wide", one, 1, false, false, {262144, 4096}, 5000000, 3000, 30000, 1000},
    };
    for (size_t i = 0; i < sizeof histories / sizeof histories[0]; i++) {
        run_history(&histories[i]);
    }
}

/* ---- limits, hash, copy ------------------------------------------------------------------------------------------ */

static void test_book_far_full(void **state)
{
    (void)state;
    const tick_band_t  band = {0, 1};
    const instrument_t ins  = instrument(&band, 1, false);
    book_t            *book = make((book_cfg_t){.window_ticks = 64, .far_slots = 64}, &ins);
    uint64_t           seq  = 1;
    assert_int_equal(part(book, SNAP_WHOLE, seq, (level_t[]){{1000000, 1}}, 1, 0), ERR_OK);
    for (int64_t i = 0; i < 56; i++) { /* 7/8 of 64 */
        assert_int_equal(part(book, WHOLE, ++seq, (level_t[]){{1000 + i, i + 1}}, 1, 0), ERR_OK);
    }
    assert_int_equal(part(book, WHOLE, ++seq, (level_t[]){{1003, 77}}, 1, 0), ERR_OK); /* a change needs no slot */
    assert_int_equal(part(book, WHOLE, ++seq, (level_t[]){{999, 1}}, 1, 0), ERR_LIMIT);
    assert_non_null(strstr(err_msg(), "56"));
    assert_state(book, FEED_BROKEN, FEED_REASON_LIMIT);
    assert_int_equal(book_level_count(book, SIDE_BUY), 57);
    assert_int_equal(book_qty_at(book, SIDE_BUY, 1003), 77);
    heal(book, ++seq);
    assert_int_equal(book_level_count(book, SIDE_BUY), 1);
    assert_int_equal(book_qty_at(book, SIDE_BUY, 1003), 0);

    /* the same when the window has to give levels up: one falls for one free slot, then two for none */
    seq = 1000;
    assert_int_equal(part(book, SNAP_WHOLE, seq, (level_t[]){{1000000, 1}, {1000001, 1}}, 2, 0), ERR_OK);
    for (int64_t i = 0; i < 55; i++) {
        assert_int_equal(part(book, WHOLE, ++seq, (level_t[]){{1000 + i, 1}}, 1, 0), ERR_OK);
    }
    assert_int_equal(part(book, WHOLE, ++seq, (level_t[]){{1000049, 1}}, 1, 0), ERR_OK); /* its window: 1000001.. */
    assert_int_equal(part(book, WHOLE, ++seq, (level_t[]){{2000000, 1}}, 1, 0), ERR_LIMIT);
    assert_int_equal(book_level_count(book, SIDE_BUY), 58);
    assert_int_equal(book_qty_at(book, SIDE_BUY, 1000001), 1);
    assert_int_equal(book_qty_at(book, SIDE_BUY, 1000000), 1);
    heal(book, ++seq);
    free(book);
}

static void test_book_top_and_depth(void **state)
{
    (void)state;
    book_t  *book = make_live();
    level_t  bids[4], asks[4];
    uint32_t bid_count, ask_count;
    memset(bids, 0x55, sizeof bids);
    book_top(book, 4, bids, &bid_count, asks, &ask_count);
    assert_int_equal(bid_count, 2);
    assert_int_equal(ask_count, 2);
    assert_memory_equal(bids, ((level_t[]){{100, 1}, {95, 2}, {0, 0}, {0, 0}}), sizeof bids);
    assert_memory_equal(asks, ((level_t[]){{105, 3}, {110, 4}, {0, 0}, {0, 0}}), sizeof asks);
    assert_int_equal(book_depth_within(book, SIDE_BUY, 101), 0);
    assert_int_equal(book_depth_within(book, SIDE_BUY, 96), 1);
    assert_int_equal(book_depth_within(book, SIDE_BUY, INT64_MIN), 3);
    assert_int_equal(book_depth_within(book, SIDE_SELL, 105), 3);
    assert_int_equal(book_depth_within(book, SIDE_SELL, INT64_MAX), 7);
    assert_int_equal(part(book, WHOLE, 2, (level_t[]){{100, INT64_MAX}, {5, INT64_MAX}}, 2, 0), ERR_OK);
    assert_int_equal(book_depth_within(book, SIDE_BUY, 5), INT64_MAX); /* never wraps */
    free(book);
}

/* The same contents: by random diffs in a narrow window, by one snapshot in a wide one. */
static void test_book_hash_is_of_contents(void **state)
{
    (void)state;
    seed_set();
    static level_t     bids[MODEL_MAX], asks[MODEL_MAX];
    const tick_band_t  band = {0, 6};
    const instrument_t ins  = instrument(&band, 1, false);
    book_t            *a    = make((book_cfg_t){.window_ticks = 64, .far_slots = 4096}, &ins);
    book_t            *b    = make((book_cfg_t){.window_ticks = 4096, .far_slots = 1024}, &ins);
    uint64_t           seq  = 0;
    assert_int_equal(part(a, SNAP_WHOLE, ++seq, NULL, 0, 0), ERR_OK);
    for (unsigned i = 0; i < 3000; i++) {
        const level_t level = {6 * (rnd() % 2 == 0 ? rnd_in(1, 999) : rnd_in(900, 999)), rnd_in(0, 5)};
        const level_t ask   = {6 * rnd_in(1000, 1200), rnd_in(0, 2)};
        assert_int_equal(part(a, WHOLE, ++seq, (level_t[]){level, ask}, 1, 1), ERR_OK);
        if (i % 100 != 99) {
            continue;
        }
        const uint32_t bid_n = book_levels(a, SIDE_BUY, bids, MODEL_MAX);
        const uint32_t ask_n = book_levels(a, SIDE_SELL, asks, MODEL_MAX);
        uint64_t       other = seq - (bid_n + 63) / 64 - (ask_n + 63) / 64;
        const uint64_t first = other + 1;
        for (uint32_t k = 0; k < bid_n; k += 64) { /* worst part first: the window rises again and again */
            const uint32_t from = (bid_n - 1) / 64 * 64 - k;
            const uint32_t n    = bid_n - from < 64 ? bid_n - from : 64;
            const uint32_t flag = other + 1 == first ? BOOK_FLAG_FIRST : 0;
            assert_int_equal(part(b, BOOK_FLAG_SNAPSHOT | flag, ++other, bids + from, (uint16_t)n, 0), ERR_OK);
        }
        for (uint32_t k = 0; k < ask_n; k += 64) {
            const uint32_t n    = ask_n - k < 64 ? ask_n - k : 64;
            const uint32_t flag = k + 64 >= ask_n ? BOOK_FLAG_LAST : 0;
            assert_int_equal(part(b, BOOK_FLAG_SNAPSHOT | flag, ++other, asks + k, 0, (uint16_t)n), ERR_OK);
        }
        assert_int_equal(other, seq);
        assert_int_equal(book_hash(5, a), book_hash(5, b));
        assert_int_not_equal(book_hash(5, a), book_hash(6, a));
    }
    /* one change of anything, and of the smallest kind */
    const uint64_t before = book_hash(0, a);
    a->updated_mono_ns++;
    assert_int_not_equal(book_hash(0, a), before);
    a->updated_mono_ns--;
    assert_int_equal(book_hash(0, a), before);
    const uint32_t n = book_levels(a, SIDE_BUY, bids, MODEL_MAX);
    for (uint32_t i = 0; i < n; i++) { /* seqs and times set back, so that only the level differs */
        const uint64_t keep_seq = a->rpt_seq, keep_venue = a->venue_seq;
        const int64_t  keep_ns = a->updated_mono_ns;
        for (unsigned back = 0; back < 2; back++) {
            const level_t level = {bids[i].px, bids[i].qty + (back == 0)};
            assert_int_equal(part(a, WHOLE, a->rpt_seq + 1, &level, 1, 0), ERR_OK);
            a->rpt_seq         = keep_seq;
            a->venue_seq       = keep_venue;
            a->updated_mono_ns = keep_ns;
            assert_int_equal(book_hash(0, a) == before, back == 1);
        }
    }
    free(a);
    free(b);
}

static void test_book_block_is_a_snapshot(void **state)
{
    (void)state;
    const tick_band_t  band  = {0, 1};
    const instrument_t ins   = instrument(&band, 1, false);
    const book_cfg_t   cfg   = {.window_ticks = 64, .far_slots = 1024};
    const size_t       bytes = book_footprint(&cfg);
    book_t            *a     = make(cfg, &ins);
    void              *mem   = aligned_alloc(book_align(), bytes);
    seed_set();
    assert_int_equal(part(a, SNAP_WHOLE, 1, NULL, 0, 0), ERR_OK);
    for (uint64_t seq = 2; seq < 2000; seq++) {
        const level_t levels[] = {{rnd_in(1, 500), rnd_in(0, 3)}, {rnd_in(501, 900), rnd_in(0, 3)}};
        if (seq == 1000) {
            memcpy(mem, a, bytes);
        }
        assert_int_equal(part(a, WHOLE, seq, levels, 1, 1), ERR_OK);
        if (seq >= 1000) {
            book_t *b = book_join(mem);
            assert_non_null(b);
            assert_int_equal(part(b, WHOLE, seq, levels, 1, 1), ERR_OK);
            assert_int_equal(book_hash(0, a), book_hash(0, b));
        }
    }
    assert_memory_equal(mem, a, bytes);
    free(mem);
    free(a);
}

/* ---- the short way ----------------------------------------------------------------------------------------------- */

/* One level to a LIVE book: accepted when valid, else the book is made anew by the same snapshot. */
static void send_one(book_t *book, uint64_t *rpt_seq, unsigned s, level_t level, bool valid, const level_t *levels,
                     const uint16_t counts[2])
{
    const err_t err = part(book, WHOLE, ++*rpt_seq, &level, s == 0, s == 1);
    if ((err == ERR_OK) != valid) {
        fail_msg("side %u px %lld qty %lld: %s", s, (long long)level.px, (long long)level.qty, err_str(err));
    }
    if (valid) {
        assert_int_equal(book_qty_at(book, s == 0 ? SIDE_BUY : SIDE_SELL, level.px), level.qty);
    } else {
        assert_int_equal(book_health(book), FEED_BROKEN);
        assert_int_equal(part(book, SNAP_WHOLE, ++*rpt_seq, levels, counts[0], counts[1]), ERR_OK);
    }
}

/* 20 levels a side, every second one, around mid (a multiple of tick); then every price from the best of a side down. */
static void sweep_px(uint32_t window, int64_t tick, bool below_zero, int64_t mid)
{
    const tick_band_t  band = {0, tick};
    const instrument_t ins  = instrument(&band, 1, below_zero);
    book_t            *book = make((book_cfg_t){.window_ticks = window, .far_slots = 4096}, &ins);
    level_t            levels[40];
    uint16_t           counts[2] = {0};
    uint64_t           rpt_seq   = 0;
    for (unsigned s = 0; s < 2; s++) {
        for (int64_t i = 0; i < 20; i++) {
            int64_t px;
            if (__builtin_add_overflow(mid, (s == 0 ? -1 : 1) * (1 + 2 * i) * tick, &px) || (px <= 0 && !below_zero)) {
                break;
            }
            levels[counts[0] + counts[1]] = (level_t){px, 5};
            counts[s]++;
        }
    }
    /* it was elsewhere before, so that its windows come to where they are by themselves */
    assert_int_equal(part(book, SNAP_WHOLE, ++rpt_seq, (level_t[]){{tick * 1000000, 1}}, 1, 0), ERR_OK);
    assert_int_equal(part(book, SNAP_WHOLE, ++rpt_seq, levels, counts[0], counts[1]), ERR_OK);
    for (unsigned s = 0; s < 2; s++) {
        for (int64_t away = 2; counts[s] > 0 && away <= 100 * tick; away += tick > 50 ? tick / 2 : 1) {
            const int64_t step = (s == 0 ? -1 : 1) * (tick + away);
            int64_t       px;
            if (__builtin_add_overflow(mid, step, &px)) {
                break;
            }
            const bool valid = px % tick == 0 && (px > 0 || below_zero);
            for (int64_t qty = 9; qty >= 0; qty -= 3) { /* comes, changes, goes, goes again */
                send_one(book, &rpt_seq, s, (level_t){px, qty}, valid, levels, counts);
            }
            send_one(book, &rpt_seq, s, (level_t){px, -1}, false, levels, counts);
        }
        static const int64_t ends[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
            if (s == 0 ? ends[i] <= mid : ends[i] >= mid) {
                const bool valid = ends[i] % tick == 0 && (ends[i] > 0 || below_zero);
                send_one(book, &rpt_seq, s, (level_t){ends[i], 3}, valid, levels, counts);
                send_one(book, &rpt_seq, s, (level_t){ends[i], 0}, valid, levels, counts);
            }
        }
    }
    free(book);
}

static void test_book_every_px_of_a_live_book(void **state)
{
    (void)state;
    static const int64_t ticks[] = {1, 2, 3, 5, 6, 8, 12, 100, 1000000007};
    for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++) {
        const int64_t tick = ticks[i];
        for (uint32_t window = 64; window <= 8192; window *= 128) {
            sweep_px(window, tick, false, tick * 3);
            sweep_px(window, tick, false, tick * 50);
            sweep_px(window, tick, false, tick * 100000);
            sweep_px(window, tick, false, INT64_MAX / tick * tick);
            sweep_px(window, tick, false, INT64_MAX / tick * tick - 60 * tick);
            sweep_px(window, tick, true, 0);
            sweep_px(window, tick, true, tick * -777);
            sweep_px(window, tick, true, INT64_MIN / tick * tick);
            sweep_px(window, tick, true, INT64_MIN / tick * tick + 60 * tick);
            sweep_px(window, tick, true, INT64_MAX / tick * tick - 60 * tick);
        }
    }
}

static void test_book_best_is_kept(void **state)
{
    (void)state;
    const feed_state_t says[] = {{.health = FEED_STALE},
                                 {.health = FEED_BROKEN, .reason = FEED_REASON_GAP},
                                 {.health = FEED_RECOVERING, .reason = FEED_REASON_GAP},
                                 {.health = 9}};
    const struct {
        level_t level[2];
        err_t   err;
    } faults[] = {{{{100, 50}, {97, 1}}, ERR_SCALE}, {{{100, 0}, {95, -1}}, ERR_RANGE}, {{{95, 0}, {0, 1}}, ERR_RANGE}};
    for (size_t i = 0; i < 4 + 3 + 3; i++) {
        book_t *book = make_plain(5); /* the best of a side is not the first: two in one word of the bitmap */
        assert_int_equal(part(book, SNAP_WHOLE, 1, (level_t[]){{95, 2}, {100, 1}, {110, 4}, {105, 3}}, 2, 2), ERR_OK);
        assert_int_equal(part(book, WHOLE, 2, (level_t[]){{100, 8}}, 1, 0), ERR_OK);
        assert_best(book, 100, 8, 105, 3);
        assert_int_equal(part(book, WHOLE, 3, (level_t[]){{105, 9}}, 0, 1), ERR_OK);
        assert_best(book, 100, 8, 105, 9);
        if (i < 4) {
            (void)book_feed(book, &says[i], 40);
        } else if (i < 7) {
            assert_int_equal(part(book, WHOLE, 4, faults[i - 4].level, 2, 0), faults[i - 4].err);
        } else if (i == 7) {
            assert_true(book_age(book, 1000000, 1));
        } else if (i == 8) {
            assert_int_equal(part(book, BOOK_FLAG_FIRST, 4, (level_t[]){{100, 70}, {105, 71}}, 1, 1), ERR_OK);
        } else {
            assert_int_equal(part(book, WHOLE, 4, (level_t[]){{107, 1}}, 1, 0), ERR_SCALE);
        }
        assert_best(book, 100, 8, 105, 9);
        free(book);
    }
}

static void test_book_within(void **state)
{
    (void)state;
    seed_set();
    unsigned beyond = 0;
    for (unsigned round = 0; round < 20; round++) {
        book_t  *book    = make_plain(5);
        uint64_t rpt_seq = 1;
        assert_int_equal(part(book, SNAP_WHOLE, 1, (level_t[]){{5000, 1}, {5005, 1}}, 1, 1), ERR_OK);
        for (unsigned i = 0; i < 400; i++) {
            const uint32_t n = 1 + (uint32_t)rnd() % 20;
            level_t        before[2][20], after[2][20], levels[8];
            uint32_t       had[2], have[2];
            uint16_t       counts[2] = {(uint16_t)(rnd() % 4), (uint16_t)(rnd() % 4)};
            for (uint32_t k = 0; k < (uint32_t)counts[0] + counts[1]; k++) {
                const int64_t away = 5 * rnd_in(0, rnd() % 4 == 0 ? 10 : 60);
                levels[k] = (level_t){k < counts[0] ? 5000 - away : 5005 + away, rnd() % 3 == 0 ? 0 : rnd_in(1, 9)};
            }
            book_top(book, n, before[0], &had[0], before[1], &had[1]);
            const book_update_t upd    = {.bid_count = counts[0], .ask_count = counts[1]};
            const bool          within = book_within(&upd, levels, had[0] < n ? INT64_MIN : before[0][n - 1].px,
                                            had[1] < n ? INT64_MAX : before[1][n - 1].px);
            assert_int_equal(part(book, WHOLE, ++rpt_seq, levels, counts[0], counts[1]), ERR_OK);
            book_top(book, n, after[0], &have[0], after[1], &have[1]);
            if (!within) {
                beyond++;
                assert_memory_equal(had, have, sizeof had);
                for (unsigned s = 0; s < 2; s++) {
                    assert_memory_equal(before[s], after[s], n * sizeof(level_t));
                }
            }
        }
        free(book);
    }
    assert_in_range(beyond, 500, 7500);
    /* the last level shown is within, the next tick is not; a side with fewer than could be shown has room */
    const book_update_t bid = {.bid_count = 1}, ask = {.ask_count = 1};
    assert_true(book_within(&bid, &(level_t){95, 1}, 95, 110));
    assert_false(book_within(&bid, &(level_t){90, 1}, 95, 110));
    assert_true(book_within(&bid, &(level_t){90, 1}, INT64_MIN, 110));
    assert_true(book_within(&ask, &(level_t){110, 1}, 95, 110));
    assert_false(book_within(&ask, &(level_t){115, 1}, 95, 110));
    assert_true(book_within(&ask, &(level_t){115, 1}, 95, INT64_MAX));
}

static void test_book_hash_is_what_it_was(void **state)
{
    (void)state;
    book_t *book = make_plain(5);
    level_t levels[40];
    for (int64_t i = 0; i < 20; i++) {
        levels[i]      = (level_t){100000 - 5 * i * i * i, 10 + i}; /* the last ones are far */
        levels[20 + i] = (level_t){100005 + 5 * i * i * i * i, 20 + i};
    }
    assert_int_equal(part(book, SNAP_WHOLE, 1, levels, 20, 20), ERR_OK);
    assert_int_equal(book_hash(0, book), 0xac5d652c2e4c59d4u);
    assert_int_equal(part(book, WHOLE, 2, (level_t[]){{100000, 77}}, 1, 0), ERR_OK);
    assert_int_equal(part(book, WHOLE, 3, (level_t[]){{100005, 0}}, 0, 1), ERR_OK);
    assert_int_equal(part(book, BOOK_FLAG_FIRST, 4, (level_t[]){{99995, 0}}, 1, 0), ERR_OK);
    assert_int_equal(book_hash(7, book), 0xc67782e61b5526d5u);
    assert_true(book_age(book, 1000, 1));
    assert_int_equal(book_hash(7, book), 0x7c15932d8013a99bu);
    free(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_book_life),
        cmocka_unit_test(test_book_snapshot_in_parts),
        cmocka_unit_test(test_book_faults),
        cmocka_unit_test(test_book_half_applied_is_broken),
        cmocka_unit_test(test_book_feed_and_age),
        cmocka_unit_test(test_book_tick_of_one_band),
        cmocka_unit_test(test_book_tick_of_bands),
        cmocka_unit_test(test_book_equals_slow_model),
        cmocka_unit_test(test_book_far_full),
        cmocka_unit_test(test_book_top_and_depth),
        cmocka_unit_test(test_book_hash_is_of_contents),
        cmocka_unit_test(test_book_block_is_a_snapshot),
        cmocka_unit_test(test_book_every_px_of_a_live_book),
        cmocka_unit_test(test_book_best_is_kept),
        cmocka_unit_test(test_book_within),
        cmocka_unit_test(test_book_hash_is_what_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
