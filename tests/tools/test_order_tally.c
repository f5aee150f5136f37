/* order_tally: what is checked here
 *
 *  1. random adds, repeated adds, part cancels, modifies and clears of 40 orders at 4 prices, into the tally and into
 *     core/book/mbo.h through dbn_book: the same refusals, and equal after every record, touched and whole
 *  2. it can say no: each way in which a book can differ, made by hand in the book alone (quantity, order gone, order more,
 *     price, place in a queue), is found, and by which words
 *  3. refused records change nothing; the same instant as "more than is left" and "unknown"
 *
 * Random flows print their seed; HWAL_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/seeded.h"
#include "tools/order_tally.h"

static mbo_t         *book;
static order_tally_t *tally;
static char           text[ORDER_TALLY_TEXT];

static void fresh(void)
{
    const mbo_cfg_t cfg   = {.orders_max = 64, .levels_max = 64};
    const size_t    align = mbo_align();
    free(book);
    order_tally_free(tally);
    void *mem = aligned_alloc(align, (mbo_footprint(&cfg) + align - 1) / align * align);
    assert_non_null(mem);
    book  = mbo_new(mem, &cfg);
    tally = order_tally_new();
    assert_non_null(tally);
    mbo_clear(book);
}

static dbn_record_t record(char action, char side, uint64_t id, int64_t px, uint32_t qty)
{
    return (dbn_record_t){
        .kind = DBN_MBO,
        .mbo  = {.order_id = id, .px = px, .qty = qty, .flags = DBN_FLAG_LAST, .action = action, .side = side}};
}

static err_t both(char action, char side, uint64_t id, int64_t px, uint32_t qty)
{
    const dbn_record_t r    = record(action, side, id, px, qty);
    const err_t        ours = order_tally_record(tally, &r.mbo), theirs = dbn_book(book, &r);
    assert_int_equal(ours, theirs);
    if (ours == ERR_OK && (!order_tally_agrees(tally, book, text) || !order_tally_equal(tally, book, text))) {
        fail_msg("%c %c %d: %s", action, side, (int)id, text);
    }
    return ours;
}

static void test_order_tally_is_the_book(void **state)
{
    (void)state;
    uint64_t x = seeded_seed("order tally"), refused = 0;
    for (uint64_t round = 0; round < seeded_rounds(60, 2000); round++) {
        fresh();
        for (int i = 0; i < 400; i++) {
            static const char actions[] = "AAAAACCCMMMTFN";
            const char        action    = seeded_next(&x) % 300 == 0 ? 'R' : actions[seeded_next(&x) % 14];
            const bool        buy = seeded_next(&x) % 2, wild = seeded_next(&x) % 100 == 0;
            const int64_t     px  = (int64_t)(seeded_next(&x) % 4) - 2;
            uint64_t          id  = 1 + seeded_next(&x) % 40;
            uint32_t          qty = 1 + (uint32_t)(seeded_next(&x) % 4);
            mbo_order_t       o   = {0};
            while (!wild && strchr("CM", action) && !mbo_find(book, id, &o) &&
                   mbo_order_count(book, SIDE_BUY) + mbo_order_count(book, SIDE_SELL)) {
                id = id % 40 + 1; /* mostly an order that stands, and no more than it has */
            }
            qty             = !wild && action == 'C' && qty > o.qty && o.qty ? (uint32_t)o.qty : qty;
            const err_t err = both(action, buy ? 'B' : 'A', id, px, qty);
            if (err) { /* the book waits for a clear now, and the tally begins again with it */
                assert_true(err == ERR_NOT_FOUND || err == ERR_RANGE);
                refused++;
                mbo_clear(book);
                order_tally_clear(tally);
            }
        }
    }
    assert_true(refused > 20);
}

static void three(void)
{
    fresh();
    assert_int_equal(both('A', 'B', 1, 100, 6), ERR_OK);
    assert_int_equal(both('A', 'B', 2, 100, 6), ERR_OK);
    assert_int_equal(both('A', 'B', 3, 99, 7), ERR_OK);
    assert_int_equal(both('A', 'A', 4, 101, 8), ERR_OK);
}

static void differ(bool touched, const char *says)
{
    assert_int_equal(order_tally_agrees(tally, book, text), !touched);
    assert_false(order_tally_equal(tally, book, text));
    if (!strstr(text, says)) {
        fail_msg("\"%s\" in \"%s\"", says, text);
    }
    three();
}

static void test_order_tally_can_say_no(void **state)
{
    (void)state;
    three();
    assert_int_equal(mbo_reduce(book, 4, 1), ERR_OK); /* the best ask, which the last record touched too */
    differ(true, "ask level: the book has 7 of 1 orders at 101, the tally 8 of 1 at 101");
    assert_int_equal(mbo_reduce(book, 3, 1), ERR_OK); /* neither best nor touched: only the whole book shows it */
    differ(false, "bid level: the book has 6 of 1 orders at 99, the tally 7");
    assert_int_equal(mbo_reduce(book, 2, 6), ERR_OK);
    differ(true, "bids: the book has 2 levels, 2 orders, the tally 2 levels, 3 orders");
    assert_int_equal(mbo_add(book, 5, SIDE_SELL, 102, 1), ERR_OK);
    differ(true, "asks: the book has 2 levels, 2 orders");
    assert_int_equal(mbo_modify(book, 3, 98, 7), ERR_OK);
    differ(false, "bid level: the book has 0 of 0 orders at 0, the tally 7 of 1 at 99");
    assert_int_equal(mbo_modify(book, 1, 99, 6), ERR_OK); /* away and back: the same level, another place */
    assert_int_equal(mbo_modify(book, 1, 100, 6), ERR_OK);
    differ(false, "bid at 100: order 1 of the queue is 2 with 6 in the book, 1 with 6 in the tally");
}

static void test_order_tally_refuses(void **state)
{
    (void)state;
    three();
    const dbn_record_t more = record('C', 'B', 2, 100, 7), gone = record('M', 'B', 9, 100, 7),
                       none = record('C', 'B', 9, 1, 1);
    assert_int_equal(order_tally_record(tally, &more.mbo), ERR_RANGE);
    assert_non_null(strstr(err_msg(), "cancel of 7 of order 2, which has 6"));
    assert_int_equal(order_tally_record(tally, &gone.mbo), ERR_NOT_FOUND);
    assert_non_null(strstr(err_msg(), "modify of order 9"));
    assert_int_equal(order_tally_record(tally, &none.mbo), ERR_NOT_FOUND);
    assert_non_null(strstr(err_msg(), "cancel of order 9"));
    assert_true(order_tally_equal(tally, book, text));
    /* less at the same price keeps the place, more goes to the tail, an id that stands is replaced at the tail */
    assert_int_equal(both('M', 'B', 1, 100, 4), ERR_OK);
    assert_int_equal(both('M', 'B', 1, 100, 5), ERR_OK);
    assert_int_equal(both('A', 'B', 2, 100, 6), ERR_OK);
    mbo_order_t queue[4];
    assert_int_equal(mbo_queue(book, SIDE_BUY, 100, queue, 4), 2);
    assert_true(queue[0].id == 1 && queue[1].id == 2);
    assert_int_equal(both('A', 'A', 2, 103, 6), ERR_OK); /* and on the other side */
    assert_int_equal(both('R', 'N', 0, 0, 0), ERR_OK);
    assert_int_equal(mbo_order_count(book, SIDE_BUY), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_tally_is_the_book),
        cmocka_unit_test(test_order_tally_can_say_no),
        cmocka_unit_test(test_order_tally_refuses),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(book);
    order_tally_free(tally);
    return failed;
}
