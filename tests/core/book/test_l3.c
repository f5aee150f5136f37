/* l3: what is checked here (levels, queues and hash against a model: test_view.c)
 *
 *  1. life: sizes out of limits refused with a sentence; a new book is BROKEN/START and waits for a snapshot
 *  2. parts: each flag that may not come at each place breaks the book (GARBLED); best prices are those of the last complete
 *     message meanwhile
 *  3. faults: each names what it is, breaks the book with its reason, once; then ERR_AGAIN until a snapshot, which heals;
 *     the sequence is counted meanwhile
 *  4. crossed: STALE/CROSSED, never LIVE, not by FEED_STATE either; it heals by itself
 *  5. actions: what each does to an order and its place
 *  6. copy: the same book in a larger block, BROKEN ones too; a queue without room is refused */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/book/l3.h"

#define WHOLE (BOOK_FLAG_FIRST | BOOK_FLAG_LAST)
#define SNAPSHOT (BOOK_FLAG_SNAPSHOT | WHOLE)

static const mbo_cfg_t cfg = {.orders_max = 8, .levels_max = 4};

static l3_t *make(uint8_t allow_negative)
{
    const instrument_def_t def  = {.venue_id       = 1,
                                   .kind           = INSTRUMENT_SPOT,
                                   .allow_negative = allow_negative,
                                   .settle_ccy     = 0x445355,
                                   .mult           = 1,
                                   .lot            = 1,
                                   .min_qty        = 1};
    const tick_band_t      band = {.tick = 1};
    instrument_t           ins;
    assert_int_equal(instrument_init(&ins, &def, "X", &band, 1), ERR_OK);
    const size_t bytes = (l3_footprint(&cfg) + l3_align() - 1) / l3_align() * l3_align();
    void        *mem   = aligned_alloc(l3_align(), bytes);
    memset(mem, 0xa5, bytes);
    l3_t *l3 = l3_new(mem, &cfg, &ins);
    assert_non_null(l3);
    return l3;
}

static err_t tell(l3_t *l3, uint32_t flags, uint64_t seq, const mbo_entry_t *entries, uint16_t count)
{
    const mbo_update_t update = {.flags = flags, .rpt_seq = seq, .venue_seq = 10 * seq, .entry_count = count};
    return l3_apply(l3, &update, entries, (int64_t)seq);
}

static mbo_entry_t entry(mbo_action_t action, uint64_t id, side_t side, int64_t px, int64_t qty)
{
    return (mbo_entry_t){.order_id = id, .px = px, .qty = qty, .action = (uint8_t)action, .side = (uint8_t)side};
}

/* A LIVE book after rpt_seq 1: bid 10 x 5 (order 1), 10 x 7 (order 2), ask 12 x 3 (order 3). */
static l3_t *make_live(void)
{
    l3_t             *l3     = make(0);
    const mbo_entry_t some[] = {entry(MBO_ADD, 1, SIDE_BUY, 10, 5), entry(MBO_ADD, 2, SIDE_BUY, 10, 7),
                                entry(MBO_ADD, 3, SIDE_SELL, 12, 3)};
    assert_int_equal(tell(l3, SNAPSHOT, 1, some, 3), ERR_OK);
    assert_int_equal(l3->health, FEED_LIVE);
    return l3;
}

static void is(const l3_t *l3, feed_health_t health, feed_reason_t reason)
{
    assert_string_equal(feed_health_str((feed_health_t)l3->health), feed_health_str(health));
    assert_string_equal(feed_reason_str((feed_reason_t)l3->reason), feed_reason_str(reason));
}

static void test_l3_life(void **state)
{
    (void)state;
    const mbo_cfg_t bad = {.orders_max = 0, .levels_max = 1};
    assert_int_equal(l3_footprint(&bad), 0);
    assert_non_null(strstr(err_msg(), "limit 1.."));
    l3_t *l3 = make(0);
    is(l3, FEED_BROKEN, FEED_REASON_START);
    assert_int_equal(tell(l3, WHOLE, 1, NULL, 0), ERR_AGAIN);
    is(l3, FEED_BROKEN, FEED_REASON_START);
    assert_int_equal(tell(l3, SNAPSHOT, 9, NULL, 0), ERR_OK); /* an empty book may be right */
    is(l3, FEED_LIVE, FEED_REASON_NONE);
    free(l3);
}

static void test_l3_parts(void **state)
{
    (void)state;
    /* where we stand, by the flags told before, and the one pair of FIRST and SNAPSHOT that may come there */
    static const struct {
        uint32_t before[2];
        uint32_t due;
    } places[] = {{{SNAPSHOT, 0}, BOOK_FLAG_FIRST},
                  {{SNAPSHOT, BOOK_FLAG_FIRST}, 0},
                  {{BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST, 0}, BOOK_FLAG_SNAPSHOT}};
    for (size_t p = 0; p < 3; p++) {
        for (uint32_t flags = 0; flags < 8; flags++) {
            l3_t             *l3  = make(0);
            const mbo_entry_t add = entry(MBO_ADD, 1, SIDE_BUY, 10, 5), more = entry(MBO_ADD, 2, SIDE_SELL, 11, 1);
            assert_int_equal(tell(l3, places[p].before[0], 1, &add, 1), ERR_OK);
            if (places[p].before[1]) {
                assert_int_equal(tell(l3, places[p].before[1], 2, NULL, 0), ERR_OK);
            }
            const uint64_t      seq   = l3->rpt_seq;
            const feed_health_t stood = (feed_health_t)l3->health;
            const uint32_t      shown = flags & (BOOK_FLAG_FIRST | BOOK_FLAG_SNAPSHOT);
            int64_t             v[4];
            l3_best(l3, &v[0], &v[1], &v[2], &v[3]);
            const int64_t ask_before = v[3];
            const err_t   err        = tell(l3, flags, seq + 1, &more, 1);
            if (shown == (BOOK_FLAG_FIRST | BOOK_FLAG_SNAPSHOT)) { /* may always come, and clears */
                assert_int_equal(err, ERR_OK);
                assert_false(mbo_find(l3_mbo(l3), 1, &(mbo_order_t){0}));
            } else if (shown == places[p].due) {
                assert_int_equal(err, ERR_OK);
                assert_true(mbo_find(l3_mbo(l3), 1, &(mbo_order_t){0}));
            } else {
                assert_int_equal(err, ERR_STATE);
                assert_non_null(strstr(err_msg(), "was due"));
                is(l3, FEED_BROKEN, FEED_REASON_GARBLED);
                free(l3);
                continue;
            }
            l3_best(l3, &v[0], &v[1], &v[2], &v[3]);
            if (flags & BOOK_FLAG_LAST) {
                is(l3, FEED_LIVE, FEED_REASON_NONE);
                assert_int_equal(v[3], 1);
                assert_int_equal(l3->venue_seq, 10 * (seq + 1));
                assert_int_equal(l3->updated_mono_ns, (int64_t)seq + 1);
            } else {
                assert_int_equal(l3->health, flags & BOOK_FLAG_SNAPSHOT ? FEED_RECOVERING : stood);
                assert_int_equal(v[3], ask_before);
            }
            free(l3);
        }
    }
}

static void test_l3_copy(void **state)
{
    (void)state;
    mbo_order_t queue[2];
    for (int broken = 0; broken < 3; broken++) {
        l3_t *from = make_live(), *to = make(0);
        if (broken == 1) { /* a fault of the orders: their health too */
            const mbo_entry_t none = entry(MBO_CANCEL, 9, SIDE_BUY, 10, 1);
            assert_int_equal(tell(from, WHOLE, 2, &none, 1), ERR_NOT_FOUND);
        } else if (broken == 2) { /* of the message alone */
            assert_int_equal(tell(from, WHOLE, 7, NULL, 0), ERR_GAP);
        }
        assert_int_equal(l3_copy(to, from, queue, 1), ERR_ARG);
        assert_non_null(strstr(err_msg(), "a level of 2 orders, room for 1"));
        assert_int_equal(l3_copy(to, from, queue, 2), ERR_OK);
        assert_int_equal(l3_hash(1, to), l3_hash(1, from));
        const mbo_entry_t more = entry(MBO_ADD, 4, SIDE_BUY, 9, 5);
        assert_int_equal(tell(to, WHOLE, from->rpt_seq + 1, &more, 1), broken ? ERR_AGAIN : ERR_OK);
        assert_int_equal(mbo_find(l3_mbo(to), 4, &queue[0]), !broken);
        free(from);
        free(to);
    }
}

static void test_l3_faults(void **state)
{
    (void)state;
    static const struct {
        mbo_entry_t   entry;
        uint64_t      seq;
        uint16_t      count;
        err_t         err;
        feed_reason_t reason;
        const char   *word;
    } faults[] = {
        {{0}, 3, 0, ERR_GAP, FEED_REASON_LOST, "2 was due"},
        {{0}, 1, 0, ERR_GAP, FEED_REASON_LOST, "2 was due"},
        {{0}, 2, MBO_UPDATE_MAX_ENTRIES + 1, ERR_ARG, FEED_REASON_GARBLED, "limit 32"},
        {{.order_id = 9, .px = 9, .qty = 1, .action = 0, .side = 1}, 2, 1, ERR_ARG, FEED_REASON_GARBLED, "action 0"},
        {{.order_id = 9, .px = 9, .qty = 1, .action = 5, .side = 1}, 2, 1, ERR_ARG, FEED_REASON_GARBLED, "action 5"},
        {{.order_id = 9, .px = 0, .qty = 1, .action = MBO_ADD, .side = 1},
         2,
         1,
         ERR_RANGE,
         FEED_REASON_GARBLED,
         "px 0"},
        {{.order_id = 1, .px = -1, .qty = 1, .action = MBO_MODIFY}, 2, 1, ERR_RANGE, FEED_REASON_GARBLED, "px -1"},
        {{.order_id = 1, .px = 9, .qty = 1, .action = MBO_ADD, .side = 1}, 2, 1, ERR_EXISTS, FEED_REASON_GARBLED, "X"},
        {{.order_id = 9, .px = 9, .qty = 1, .action = MBO_ADD, .side = 3}, 2, 1, ERR_ARG, FEED_REASON_GARBLED, "X"},
        {{.order_id = 9, .px = 9, .qty = 0, .action = MBO_ADD, .side = 1}, 2, 1, ERR_RANGE, FEED_REASON_GARBLED, "X"},
        {{.order_id = 9, .px = 9, .qty = 1, .action = MBO_MODIFY}, 2, 1, ERR_NOT_FOUND, FEED_REASON_LOST, "order 9"},
        {{.order_id = 9, .qty = 1, .action = MBO_CANCEL}, 2, 1, ERR_NOT_FOUND, FEED_REASON_LOST, "order 9"},
        {{.order_id = 1, .qty = 6, .action = MBO_FILL}, 2, 1, ERR_RANGE, FEED_REASON_GARBLED, "1..5"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        l3_t *l3 = make_live();
        assert_int_equal(tell(l3, WHOLE, faults[i].seq, &faults[i].entry, faults[i].count), faults[i].err);
        assert_non_null(strstr(err_msg(), faults[i].word));
        assert_non_null(strstr(err_msg(), "book X"));
        is(l3, FEED_BROKEN, faults[i].reason);
        const mbo_entry_t add = entry(MBO_ADD, 4, SIDE_BUY, 9, 1);
        assert_int_equal(tell(l3, WHOLE, l3->rpt_seq + 1, &add, 1), ERR_AGAIN);
        is(l3, FEED_BROKEN, faults[i].reason);
        assert_true(mbo_find(l3_mbo(l3), 1, &(mbo_order_t){0})); /* for a person to look at */
        assert_int_equal(tell(l3, SNAPSHOT, 77, &add, 1), ERR_OK);
        is(l3, FEED_LIVE, FEED_REASON_NONE);
        assert_int_equal(mbo_order_count(l3_mbo(l3), SIDE_BUY), 1);
        assert_int_equal(tell(l3, WHOLE, 78, NULL, 0), ERR_OK);
        free(l3);
    }
    l3_t       *l3 = make_live(); /* levels full: 4 */
    mbo_entry_t more[3];
    for (uint64_t i = 0; i < 3; i++) {
        more[i] = entry(MBO_ADD, 10 + i, SIDE_BUY, 5 + (int64_t)i, 1);
    }
    assert_int_equal(tell(l3, WHOLE, 2, more, 3), ERR_LIMIT);
    is(l3, FEED_BROKEN, FEED_REASON_LIMIT);
    int64_t v[4];
    assert_false(l3_best(l3, &v[0], &v[1], &v[2], &v[3]));
    assert_int_equal(v[0], 10); /* the last complete message's */
    free(l3);
    l3                    = make(1); /* negative prices are prices here */
    const mbo_entry_t low = entry(MBO_ADD, 1, SIDE_BUY, -3, 1);
    assert_int_equal(tell(l3, SNAPSHOT, 1, &low, 1), ERR_OK);
    is(l3, FEED_LIVE, FEED_REASON_NONE);
    free(l3);
}

static void test_l3_crossed(void **state)
{
    (void)state;
    int64_t            v[4];
    const feed_state_t alive = {.health = FEED_LIVE};
    for (int64_t px = 12; px <= 13; px++) { /* locked, crossed */
        l3_t             *l3      = make_live();
        const mbo_entry_t cross   = entry(MBO_ADD, 4, SIDE_BUY, px, 2);
        const mbo_entry_t uncross = entry(MBO_FILL, 4, SIDE_NONE, 0, 2);
        assert_int_equal(tell(l3, BOOK_FLAG_FIRST, 2, &cross, 1), ERR_OK);
        is(l3, FEED_LIVE, FEED_REASON_NONE); /* between parts: the last complete message's */
        assert_int_equal(tell(l3, BOOK_FLAG_LAST, 3, NULL, 0), ERR_OK);
        is(l3, FEED_STALE, FEED_REASON_CROSSED);
        assert_false(l3_best(l3, &v[0], &v[1], &v[2], &v[3]));
        assert_int_equal(v[0], px);
        assert_int_equal(v[2], 12);
        assert_int_equal(l3_feed(l3, &alive, 50), ERR_OK);
        is(l3, FEED_STALE, FEED_REASON_CROSSED);
        assert_int_equal(l3->updated_mono_ns, 50);
        assert_false(l3_age(l3, 1000, 1));
        assert_int_equal(tell(l3, WHOLE, 4, NULL, 0), ERR_OK); /* still */
        is(l3, FEED_STALE, FEED_REASON_CROSSED);
        assert_int_equal(tell(l3, WHOLE, 5, &uncross, 1), ERR_OK);
        is(l3, FEED_LIVE, FEED_REASON_NONE);
        assert_true(l3_best(l3, &v[0], &v[1], &v[2], &v[3]));
        assert_int_equal(v[0], 10);
        assert_false(l3_age(l3, 6, 1)); /* exactly at the limit */
        assert_true(l3_age(l3, 7, 1));
        is(l3, FEED_STALE, FEED_REASON_AGE);
        free(l3);
    }
}

static void test_l3_actions(void **state)
{
    (void)state;
    l3_t             *l3     = make_live();
    const mbo_t      *mbo    = l3_mbo(l3);
    const mbo_entry_t down   = entry(MBO_MODIFY, 1, SIDE_SELL, 10, 4); /* the side of a MODIFY is not read */
    const mbo_entry_t up     = entry(MBO_MODIFY, 1, SIDE_NONE, 10, 6);
    const mbo_entry_t cancel = entry(MBO_CANCEL, 2, SIDE_NONE, 0, 3), fill = entry(MBO_FILL, 2, SIDE_NONE, 99, 4);
    level_t           level;
    assert_int_equal(mbo_ahead(mbo, 2), 5);
    assert_int_equal(tell(l3, WHOLE, 2, &down, 1), ERR_OK);
    assert_int_equal(mbo_ahead(mbo, 2), 4);
    assert_int_equal(tell(l3, WHOLE, 3, &up, 1), ERR_OK);
    assert_int_equal(mbo_ahead(mbo, 2), 0);
    assert_int_equal(mbo_ahead(mbo, 1), 7);
    assert_int_equal(tell(l3, WHOLE, 4, &cancel, 1), ERR_OK);
    assert_int_equal(mbo_ahead(mbo, 1), 4);
    assert_int_equal(l3_depth_within(l3, SIDE_BUY, 10), 10);
    assert_int_equal(tell(l3, WHOLE, 5, &fill, 1), ERR_OK);
    assert_int_equal(mbo_ahead(mbo, 2), -1);
    assert_int_equal(l3_levels(l3, SIDE_BUY, &level, 1), 1);
    assert_int_equal(level.qty, 6);
    free(l3);
}

static void test_l3_depth_beyond_an_int64(void **state)
{
    (void)state;
    l3_t             *l3     = make(0);
    const mbo_entry_t some[] = {entry(MBO_ADD, 1, SIDE_BUY, 10, INT64_MAX), entry(MBO_ADD, 2, SIDE_BUY, 9, 1)};
    assert_int_equal(tell(l3, SNAPSHOT, 1, some, 2), ERR_OK);
    assert_int_equal(l3_depth_within(l3, SIDE_BUY, 10), INT64_MAX);
    assert_int_equal(l3_depth_within(l3, SIDE_BUY, 1), INT64_MAX);
    assert_int_equal(l3_depth_within(l3, SIDE_BUY, 11), 0);
    free(l3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_l3_life),
        cmocka_unit_test(test_l3_parts),
        cmocka_unit_test(test_l3_copy),
        cmocka_unit_test(test_l3_faults),
        cmocka_unit_test(test_l3_crossed),
        cmocka_unit_test(test_l3_actions),
        cmocka_unit_test(test_l3_depth_beyond_an_int64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
