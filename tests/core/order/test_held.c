/* The table of held orders.
 *
 * Checked   each refusal of new and join; rows and slices are found by id, and by nothing else; a place is taken from the row
 *           closed longest, never from one whose list lives; sums of slices are exact when fills come late or are undone; due
 *           rows come soonest first; random histories against a model of plain arrays, on a copy of the arena after each step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/order/held.h"

typedef struct fixture {
    void         *mem;
    held_table_t *t;
} fixture_t;

static fixture_t open_table(uint32_t rows, uint32_t slices)
{
    const held_cfg_t cfg = {.rows_max = rows, .slices_max = slices, .instruments_max = 3};
    fixture_t        f   = {.mem = aligned_alloc(held_align(), held_footprint(&cfg))};
    assert_non_null(held_new(f.mem, &cfg));
    f.t = held_join(f.mem);
    assert_non_null(f.t);
    return f;
}

static order_terms_req_t terms(uint64_t id, uint64_t list, uint32_t instrument)
{
    return (order_terms_req_t){
        .cl_ord_id = id, .list_id = list, .instrument_id = instrument, .side = SIDE_BUY, .qty = 100, .px = 5};
}

static uint32_t put(held_table_t *t, uint64_t id, uint64_t list)
{
    const order_terms_req_t req  = terms(id, list, (uint32_t)(1 + id % 3));
    const uint32_t          head = list && list != id ? held_find(t, list) : HELD_NONE;
    const uint32_t          row  = held_open(t, &req, head, 77);
    held_at(t, row)->stage       = HELD_STAGE_READY;
    return row;
}

static void test_held_refuses_a_bad_cfg(void **state)
{
    (void)state;
    const held_cfg_t bad[] = {{.rows_max = 0, .slices_max = 1},
                              {.rows_max = 2, .slices_max = 1},
                              {.rows_max = 1, .slices_max = HELD_ROWS_MAX + 1},
                              {.rows_max = 1, .slices_max = 1, .instruments_max = ORDER_INSTRUMENTS_MAX + 1},
                              {.rows_max = 1, .slices_max = 1, .reserved = 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(held_footprint(&bad[i]), 0);
        assert_null(held_new(NULL, &bad[i]));
    }
}

static void test_held_join_knows_its_own(void **state)
{
    (void)state;
    fixture_t f = open_table(4, 8);
    assert_null(held_join((char *)f.mem + 8));
    char *other = aligned_alloc(held_align(), 1 << 16);
    memset(other, 0, 1 << 16);
    assert_null(held_join(other));
    memcpy(other, f.mem, 256);
    assert_non_null(held_join(other));
    ((uint32_t *)(void *)other)[2]++; /* rows_max: another size than it says */
    assert_null(held_join(other));
    free(other);
    free(f.mem);
}

static void test_held_row_lives_and_is_kept(void **state)
{
    (void)state;
    fixture_t      f = open_table(2, 4);
    const uint32_t a = put(f.t, 11, 0), b = put(f.t, 12, 0);
    assert_int_equal(held_find(f.t, 11), a);
    assert_int_equal(held_find(f.t, 13), HELD_NONE);
    assert_int_equal(held_find(f.t, 0), HELD_NONE);
    assert_int_equal(held_first(f.t), b);
    assert_int_equal(held_next(f.t, b), a);
    assert_int_equal(held_next(f.t, a), HELD_NONE);
    assert_int_equal(held_count(f.t), 2);
    assert_int_equal(held_rows(f.t), 2);
    assert_false(held_room(f.t, HELD_NONE));
    held_close(f.t, a, ORD_STATUS_CANCELED);
    assert_true(held_room(f.t, HELD_NONE));
    assert_int_equal(held_peek(f.t, held_find(f.t, 11))->ord_status, ORD_STATUS_CANCELED); /* kept */
    assert_int_equal(held_count(f.t), 1);
    const uint32_t c = put(f.t, 13, 0);
    assert_int_equal(c, a);
    assert_int_equal(held_find(f.t, 11), HELD_NONE);
    held_close(f.t, b, ORD_STATUS_FILLED);
    held_close(f.t, c, ORD_STATUS_FILLED);
    assert_int_equal(put(f.t, 14, 0), b); /* closed longest first */
    free(f.mem);
}

static void test_held_list_lives_as_a_whole(void **state)
{
    (void)state;
    fixture_t      f = open_table(4, 4);
    const uint32_t a = put(f.t, 1, 1), b = put(f.t, 2, 1), c = put(f.t, 3, 1), d = put(f.t, 4, 0);
    assert_int_equal(held_at(f.t, a)->list_live, 3);
    assert_int_equal(held_at(f.t, a)->list_next, b);
    assert_int_equal(held_at(f.t, b)->list_next, c);
    assert_int_equal(held_at(f.t, c)->list_head, a);
    assert_int_equal(held_at(f.t, d)->list_head, HELD_NONE);
    held_close(f.t, a, ORD_STATUS_FILLED);
    held_close(f.t, b, ORD_STATUS_CANCELED);
    assert_false(held_room(f.t, HELD_NONE)); /* c lives, so a and b are kept */
    held_close(f.t, c, ORD_STATUS_CANCELED);
    assert_true(held_room(f.t, HELD_NONE));
    assert_false(held_room(f.t, a)); /* for one more of this very list there is none */
    held_close(f.t, d, ORD_STATUS_CANCELED);
    assert_int_equal(put(f.t, 5, 0), a); /* and with its head the list is no list */
    assert_int_equal(held_at(f.t, b)->list_head, HELD_NONE);
    assert_int_equal(held_at(f.t, c)->list_next, HELD_NONE);
    free(f.mem);
}

static void test_held_list_goes_on_after_its_end(void **state)
{
    (void)state;
    fixture_t      f = open_table(3, 4);
    const uint32_t x = put(f.t, 9, 0), a = put(f.t, 1, 1);
    held_close(f.t, x, ORD_STATUS_CANCELED);
    held_close(f.t, a, ORD_STATUS_FILLED);
    assert_true(held_room(f.t, a));
    const uint32_t b = put(f.t, 2, 1);
    assert_int_equal(held_at(f.t, a)->list_live, 1);
    assert_int_equal(put(f.t, 3, 1), x); /* not the head, whose list lives again */
    assert_false(held_room(f.t, HELD_NONE));
    assert_int_equal(held_at(f.t, b)->list_head, a);
    free(f.mem);
}

static void test_held_slices_sum(void **state)
{
    (void)state;
    fixture_t      f = open_table(1, 3);
    const uint32_t r = put(f.t, 1, 0);
    const uint32_t s = held_slice_open(f.t, r, 100, 40);
    assert_int_equal(held_slice_find(f.t, 100), s);
    assert_int_equal(held_slice_at(f.t, s)->want_qty, 40);
    assert_ptr_equal(held_slice_peek(f.t, s), held_slice_at(f.t, s));
    held_slice_count(f.t, s, 30, 3000);
    const uint32_t s2 = held_slice_open(f.t, r, 101, 40);
    const uint32_t s3 = held_slice_open(f.t, r, 102, 40);
    assert_int_equal(held_at(f.t, r)->open_slices, 3);
    assert_false(held_slice_room(f.t));
    held_slice_end(f.t, s2);
    held_slice_end(f.t, s);
    assert_true(held_slice_room(f.t));
    held_slice_count(f.t, s2, 5, 510);
    held_slice_count(f.t, s, 20, 2000); /* one was undone, late */
    assert_int_equal(held_at(f.t, r)->cum_qty, 25);
    assert_true(held_at(f.t, r)->px_qty == 2510);
    assert_int_equal(held_slice_open(f.t, r, 103, 1), s2); /* ended longest: from the middle of the chain */
    assert_int_equal(held_slice_find(f.t, 101), HELD_NONE);
    assert_int_equal(held_at(f.t, r)->cum_qty, 25); /* what it had filled stays counted */
    assert_int_equal(held_slice_at(f.t, s3)->next, s);
    assert_int_equal(held_slice_open(f.t, r, 104, 1), s);
    held_slice_end(f.t, s);
    held_slice_end(f.t, s2);
    held_slice_end(f.t, s3);
    held_close(f.t, r, ORD_STATUS_FILLED);
    const uint32_t again = put(f.t, 2, 0); /* the row goes, and its slices with it */
    assert_int_equal(again, r);
    assert_int_equal(held_slice_find(f.t, 104), HELD_NONE);
    for (uint64_t i = 0; i < 3; i++) {
        assert_true(held_slice_room(f.t));
        held_slice_open(f.t, again, 200 + i, 1);
    }
    assert_false(held_slice_room(f.t));
    free(f.mem);
}

static void test_held_watch_by_instrument(void **state)
{
    (void)state;
    fixture_t      f = open_table(4, 4);
    const uint32_t a = put(f.t, 3, 0), b = put(f.t, 6, 0), c = put(f.t, 9, 0); /* instrument 1 */
    held_watch(f.t, a, true);
    held_watch(f.t, b, true);
    held_watch(f.t, b, true);
    held_watch(f.t, c, true);
    assert_int_equal(held_watch_first(f.t, 1), c);
    assert_int_equal(held_watch_first(f.t, 2), HELD_NONE);
    held_watch(f.t, b, false);
    assert_int_equal(held_watch_next(f.t, c), a);
    held_close(f.t, c, ORD_STATUS_CANCELED);
    assert_int_equal(held_watch_first(f.t, 1), a);
    held_watch(f.t, a, false);
    assert_int_equal(held_watch_first(f.t, 1), HELD_NONE);
    free(f.mem);
}

/* ---- random histories -------------------------------------------------------------------------------------------- */
#define ROWS 12

typedef struct model { /* by id */
    int64_t  due;
    uint64_t opened;
    int      live;
} model_t;

static void check_due(held_table_t *t, const model_t *m, uint64_t ids)
{
    uint64_t best = 0;
    for (uint64_t id = 1; id <= ids; id++) {
        if (m[id].live && m[id].due &&
            (!best || m[id].due < m[best].due || (m[id].due == m[best].due && m[id].opened < m[best].opened))) {
            best = id;
        }
    }
    assert_int_equal(held_due_first(t), best ? held_find(t, best) : HELD_NONE);
}

static void test_held_random_histories(void **state)
{
    (void)state;
    const char    *given = getenv("HWAL_SEED");
    const unsigned seed  = given ? (unsigned)strtoul(given, NULL, 10) : 99;
    const uint64_t steps = getenv("HWAL_QUICK") ? 3000 : 30000;
    printf("HWAL_SEED=%u\n", seed);
    srand(seed);
    const held_cfg_t cfg   = {.rows_max = ROWS, .slices_max = 2 * ROWS, .instruments_max = 3};
    const size_t     bytes = held_footprint(&cfg);
    model_t         *m     = calloc(steps + 2, sizeof *m);
    fixture_t        f     = open_table(ROWS, 2 * ROWS);
    uint64_t         ids = 0, slices = 1u << 20;
    for (uint64_t step = 0; step < steps; step++) {
        const uint64_t id  = ids ? ids - (uint64_t)rand() % (ids < 2 * ROWS ? ids : 2 * ROWS) : 0;
        const uint32_t row = held_find(f.t, id);
        switch (rand() % 5) {
        case 0:
        case 1: {
            const uint32_t head = row != HELD_NONE && rand() % 2 ? held_at(f.t, row)->list_head : HELD_NONE;
            if (held_room(f.t, head)) {
                ids++;
                m[ids] = (model_t){.live = 1, .opened = ids};
                put(f.t, ids, head != HELD_NONE ? held_at(f.t, head)->terms.cl_ord_id : rand() % 2 ? ids : 0);
            }
            break;
        }
        case 2:
            if (row != HELD_NONE && m[id].live) {
                m[id].due = rand() % 20;
                held_due(f.t, row, m[id].due);
            }
            break;
        case 3:
            if (row != HELD_NONE && m[id].live && held_slice_room(f.t)) {
                held_slice_open(f.t, row, slices++, 1);
            }
            break;
        default:
            if (row != HELD_NONE && m[id].live) {
                for (uint32_t s = held_at(f.t, row)->slices; s != HELD_NONE; s = held_slice_at(f.t, s)->next) {
                    if (held_slice_at(f.t, s)->open) {
                        held_slice_end(f.t, s);
                    }
                }
                held_close(f.t, row, ORD_STATUS_CANCELED);
                m[id] = (model_t){0};
            }
        }
        uint32_t live = 0;
        for (uint64_t i = 1; i <= ids; i++) {
            live += (uint32_t)m[i].live;
            assert_true(!m[i].live || held_find(f.t, i) != HELD_NONE); /* none that lives is given up */
        }
        assert_int_equal(held_count(f.t), live);
        check_due(f.t, m, ids);
        void *copy = aligned_alloc(held_align(), bytes);
        memcpy(copy, f.mem, bytes);
        assert_int_equal(held_hash(1, f.t), held_hash(1, held_join(copy)));
        free(f.mem);
        f.mem = copy;
        f.t   = held_join(copy);
    }
    free(f.mem);
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_refuses_a_bad_cfg),          cmocka_unit_test(test_held_join_knows_its_own),
        cmocka_unit_test(test_held_row_lives_and_is_kept),      cmocka_unit_test(test_held_list_lives_as_a_whole),
        cmocka_unit_test(test_held_list_goes_on_after_its_end), cmocka_unit_test(test_held_slices_sum),
        cmocka_unit_test(test_held_watch_by_instrument),        cmocka_unit_test(test_held_random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
