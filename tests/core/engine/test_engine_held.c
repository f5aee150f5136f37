/* Orders with terms, driven by hand-made messages through the whole engine.
 *
 * Checked every type waits, triggers and leaves as it must, and on nothing but a LIVE book and a fresh trade;
 *           algorithms send what their schedule says and sum up
 *           exactly; what risk denies is told; cancel, kill, mass cancel and lane close reach what is held; a copy of the arena
 *           goes on byte for byte; random terms on a random market keep the invariants of held_settle(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/held_world.h"

/* ---- triggers ---------------------------------------------------------------------------------------------------- */
static void test_held_stop_leaves_when_its_price_trades(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w, (order_terms_req_t){.side = SIDE_SELL, .ord_type = ORD_TYPE_STOP, .stop_px = 9950, .qty = 3}), 0);
    assert_true(told(w, 1, EXEC_TYPE_NEW));
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    trade(w, 9951);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    trade(w, 9950);
    assert_true(told(w, 1, EXEC_TYPE_TRIGGERED));
    assert_int_equal(world_out_count(w, MSG_VERDICT), 0); /* it had its one */
    assert_int_equal(out(w, 0)->cl_ord_id, id_of(w, 1));
    assert_int_equal(out(w, 0)->ord_type, ORD_TYPE_LIMIT);
    assert_int_equal(out(w, 0)->tif, TIF_IOC);
    assert_int_equal(out(w, 0)->px, 9700); /* the collar */
    assert_int_equal(record_of(w, 1).state, HELD_WORKING);
    venue(w, id_of(w, 1), EXEC_TYPE_TRADE, 9949, 3);
    assert_int_equal(row_of(w, 1)->ord_status, ORD_STATUS_FILLED);
    assert_int_equal(record_of(w, 1).avg_px, 9949);
    assert_int_equal(world_out_count(w, MSG_EXEC_REPORT), 1); /* the venue said it under the same id */
}

static void test_held_types_on_their_side_of_the_market(void **state)
{
    static const struct {
        uint8_t type; /* ord_type_t */
        uint8_t side;
        int64_t stop, px, wait, fire, sent;
    } c[] = {{ORD_TYPE_STOP, SIDE_BUY, 10050, 0, 10049, 10050, 10300},
             {ORD_TYPE_STOP_LIMIT, SIDE_BUY, 10050, 10060, 10049, 10051, 10060},
             {ORD_TYPE_STOP_LIMIT, SIDE_SELL, 9950, 9940, 9951, 9950, 9940},
             {ORD_TYPE_MARKET_IF_TOUCHED, SIDE_BUY, 9950, 0, 9951, 9950, 10300},
             {ORD_TYPE_MARKET_IF_TOUCHED, SIDE_SELL, 10050, 0, 10049, 10050, 9700},
             {ORD_TYPE_LIMIT_IF_TOUCHED, SIDE_SELL, 10050, 10045, 10049, 10060, 10045},
             {ORD_TYPE_LIMIT_IF_TOUCHED, SIDE_BUY, 9950, 9955, 9951, 9900, 9955}};
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        void *other;
        setup(&other);
        world_t *w = other;
        assert_int_equal(
            hold(w,
                 (order_terms_req_t){
                     .side = c[i].side, .ord_type = c[i].type, .stop_px = c[i].stop, .px = c[i].px, .qty = 2}),
            0);
        trade(w, c[i].wait);
        assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
        trade(w, c[i].fire);
        assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
        assert_int_equal(out(w, 0)->px, c[i].sent);
        assert_int_equal(out(w, 0)->side, c[i].side);
        teardown(&other);
    }
    (void)state;
}

static void test_held_looks_at_what_it_was_told_to(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_BUY, .ord_type = ORD_TYPE_STOP, .stop_px = 10015, .qty = 1, .trigger = TRIGGER_BEST}),
        0);
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_BUY, .ord_type = ORD_TYPE_STOP, .stop_px = 10005, .qty = 2, .trigger = TRIGGER_MID}),
        0);
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_SELL, .ord_type = ORD_TYPE_STOP, .stop_px = 9985, .qty = 1, .trigger = TRIGGER_BEST}),
        0);
    trade(w, 10100);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0); /* trades are none of theirs */
    world_book(w, BOOK_FLAG_SNAPSHOT, 9995, 10015);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 2);
    venue(w, id_of(w, 1), EXEC_TYPE_EXPIRED, 0, 0);
    venue(w, id_of(w, 2), EXEC_TYPE_EXPIRED, 0, 0);
    world_book(w, BOOK_FLAG_SNAPSHOT, 9985, 10015);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
    assert_int_equal(out(w, 0)->side, SIDE_SELL);
}

static void test_held_never_triggers_on_a_broken_book_but_at_the_first_look_after(void **state)
{
    world_t           *w      = *state;
    const feed_state_t broken = {.instrument_id = 1, .health = FEED_BROKEN, .reason = FEED_REASON_GAP};
    assert_int_equal(
        hold(w, (order_terms_req_t){.side = SIDE_SELL, .ord_type = ORD_TYPE_STOP, .stop_px = 9950, .qty = 1}), 0);
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_SELL, .ord_type = ORD_TYPE_STOP, .stop_px = 9970, .qty = 2, .trigger = TRIGGER_BEST}),
        0);
    assert_int_equal(world_apply_body(w, MSG_FEED_STATE, &broken), ERR_OK);
    trade(w, 9900);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    w->now += 2 * NS_PER_S; /* the trade is old then, the book is not */
    world_book(w, BOOK_FLAG_SNAPSHOT, 9960, 9980);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
    assert_int_equal(out(w, 0)->qty, 2);
    trade(w, 9940);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
}

static void test_held_stop_beyond_the_market_leaves_at_once(void **state)
{
    world_t *w = *state;
    trade(w, 9940);
    assert_int_equal(
        hold(w, (order_terms_req_t){.side = SIDE_SELL, .ord_type = ORD_TYPE_STOP, .stop_px = 9950, .qty = 1}), 0);
    assert_true(told(w, 1, EXEC_TYPE_TRIGGERED));
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
}

static void test_held_trailing_stop_follows_and_never_loosens(void **state)
{
    world_t *w = *state;
    trade(w, 10000);
    assert_int_equal(
        hold(w, (order_terms_req_t){.side = SIDE_SELL, .ord_type = ORD_TYPE_TRAILING_STOP, .trail = 40, .qty = 1}), 0);
    assert_int_equal(hold(w, (order_terms_req_t){.side     = SIDE_BUY,
                                                 .ord_type = ORD_TYPE_TRAILING_STOP_LIMIT,
                                                 .trail    = 100,
                                                 .stop_px  = 10090,
                                                 .px       = 10095,
                                                 .qty      = 1}),
                     0);
    assert_int_equal(record_of(w, 1).stop_px, 9960);
    trade(w, 10020);
    assert_int_equal(record_of(w, 1).stop_px, 9980);
    trade(w, 9985);
    assert_int_equal(record_of(w, 1).stop_px, 9980);
    assert_int_equal(record_of(w, 2).stop_px, 10085);
    assert_int_equal(record_of(w, 2).px, 10090);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    trade(w, 9980);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
    venue(w, id_of(w, 1), EXEC_TYPE_EXPIRED, 0, 0); /* else it would trade with it */
    trade(w, 10080);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
    assert_int_equal(out(w, 0)->px, 10085);
}

static void test_held_market_to_limit_rests_at_the_price_of_its_fills(void **state)
{
    world_t *w = *state;
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .ord_type = ORD_TYPE_MARKET_TO_LIMIT, .qty = 10}),
                     0);
    const uint64_t first = out(w, 0)->cl_ord_id;
    assert_int_equal(cl_ord_id_origin(first), 0);
    assert_int_equal(out(w, 0)->tif, TIF_IOC);
    venue(w, first, EXEC_TYPE_TRADE, 10011, 4);
    assert_true(told(w, 1, EXEC_TYPE_ORDER_STATUS));
    venue(w, first, EXEC_TYPE_EXPIRED, 0, 0);
    assert_true(told(w, 1, EXEC_TYPE_RESTATED));
    assert_int_equal(out(w, 0)->px, 10011);
    assert_int_equal(out(w, 0)->qty, 6);
    assert_int_equal(out(w, 0)->tif, TIF_GTC);
    venue(w, out(w, 0)->cl_ord_id, EXEC_TYPE_TRADE, 10011, 6);
    assert_int_equal(row_of(w, 1)->ord_status, ORD_STATUS_FILLED);
    assert_int_equal(record_of(w, 1).cum_qty, 10);
}

/* ---- time -------------------------------------------------------------------------------------------------------- */
static void test_held_gtd_is_cancelled_at_its_time(void **state)
{
    world_t      *w   = *state;
    const int64_t utc = w->now + w->utc_ahead;
    assert_int_equal(
        hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 9980, .qty = 1, .tif = TIF_GTD, .expire_utc_ns = utc}),
        RISK_BAD_SIDE_TYPE_OR_TIF);
    assert_int_equal(hold(w,
                          (order_terms_req_t){
                              .side = SIDE_BUY, .px = 9980, .qty = 1, .tif = TIF_GTD, .expire_utc_ns = utc + 300 * MS}),
                     0);
    assert_int_equal(out(w, 0)->tif, TIF_GTC);
    venue(w, id_of(w, 2), EXEC_TYPE_NEW, 0, 0);
    world_tick(w, 200 * MS);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    world_tick(w, 100 * MS);
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_CANCEL);
    venue(w, id_of(w, 2), EXEC_TYPE_CANCELED, 0, 0);
    assert_true(told(w, 2, EXEC_TYPE_EXPIRED));
}

/* What waits for nothing has one verdict: that of the whole chain, with what was found and the limit. */
static void test_held_gtd_is_judged_at_once(void **state)
{
    world_t          *w    = *state;
    order_terms_req_t t    = {.side = SIDE_BUY, .px = 9980, .qty = 600, .tif = TIF_GTD};
    const int64_t     soon = w->now + w->utc_ahead + NS_PER_S;
    t.expire_utc_ns        = soon;
    assert_int_equal(hold(w, t), 0);
    t.qty                 = 601;
    const uint16_t   code = hold(w, t);
    const verdict_t *v    = world_out_first(w, MSG_VERDICT);
    assert_non_null(v);
    assert_int_equal(code, v->code);
    assert_int_equal(code, RISK_MAX_LONG);
    assert_int_equal(v->observed, 1201);
    assert_int_equal(v->limit, 1000);
    assert_int_equal(world_out_count(w, MSG_VERDICT), 1);
    assert_int_equal(world_out_count(w, MSG_EXEC_REPORT), 0);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
}

static void test_held_auction_orders(void **state)
{
    world_t *w = *state;
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 9980, .qty = 1, .tif = TIF_ATC}), 0);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    world_control(w, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_CLOSED);
    assert_true(told(w, 1, EXEC_TYPE_EXPIRED)); /* no closing auction came */
}

static void test_held_auction_order_leaves_in_its_auction_and_ends_with_it(void **state)
{
    world_t *w = *state;
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 9980, .qty = 1, .tif = TIF_ATC}), 0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 9981, .qty = 2, .tif = TIF_OPG}),
                     RISK_TYPE_NOT_IN_PHASE);
    world_control(w, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_PRE_OPEN); /* it was open: the closing auction */
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
    assert_int_equal(out(w, 0)->cl_ord_id, id_of(w, 1));
    assert_int_equal(out(w, 0)->tif, TIF_GTC); /* in the venue's words */
    world_control(w, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_CLOSED);
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_CANCEL);
    venue(w, id_of(w, 1), EXEC_TYPE_CANCELED, 0, 0);
    assert_true(told(w, 1, EXEC_TYPE_EXPIRED));
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 9981, .qty = 2, .tif = TIF_OPG}), 0);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    world_book(w, 0, 9990, 10010);
    world_control(w, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_PRE_OPEN); /* the next opening */
    assert_int_equal(out(w, 0)->cl_ord_id, id_of(w, 3));
}

/* ---- self-trade prevention that waits ---------------------------------------------------------------------------- */
static void test_held_waits_until_the_oldest_is_dead(void **state)
{
    world_t *w = *state;
    stp(w, RISK_STP_MODE_CANCEL_OLDEST);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10000, .qty = 5}), 0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 10001, .qty = 7}), 0);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_CANCEL);
    assert_int_equal(out(w, 0)->orig_cl_ord_id, id_of(w, 1));
    trade(w, 10000);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    venue(w, id_of(w, 1), EXEC_TYPE_CANCELED, 0, 0);
    assert_int_equal(out(w, 0)->cl_ord_id, id_of(w, 2));
    assert_int_equal(out(w, 0)->qty, 7);
}

static void test_held_takes_the_smaller_quantity_off_both(void **state)
{
    world_t *w = *state;
    stp(w, RISK_STP_MODE_DECREMENT);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10000, .qty = 5}), 0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 10001, .qty = 7}), 0);
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_CANCEL); /* all of the resting one */
    assert_true(told(w, 2, EXEC_TYPE_RESTATED));
    venue(w, id_of(w, 1), EXEC_TYPE_CANCELED, 0, 0);
    assert_int_equal(out(w, 0)->qty, 2);
    venue(w, id_of(w, 2), EXEC_TYPE_CANCELED, 0, 0);
    w->now += 101 * MS; /* no duplicate */
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10000, .qty = 5}), 0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 10001, .qty = 3}), 0);
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_REPLACE); /* nothing is left of the new one */
    assert_int_equal(out(w, 0)->qty, 2);
    assert_true(told(w, 4, EXEC_TYPE_CANCELED));
}

/* The cancel of what it crosses is refused: it is cancelled again, and nothing more comes off the new one for it. */
static void test_held_takes_nothing_off_twice(void **state)
{
    world_t *w = *state;
    stp(w, RISK_STP_MODE_DECREMENT);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10000, .qty = 5}), 0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 10001, .qty = 12}), 0);
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_CANCEL);
    assert_int_equal(record_of(w, 2).order_qty, 7);
    venue(w, id_of(w, 1), EXEC_TYPE_CANCEL_REJECT, 0, 0);
    w->now += NS_PER_S;
    world_book(w, 0, 9990, 10010);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_CANCEL);
    assert_int_equal(record_of(w, 2).order_qty, 7);
    venue(w, id_of(w, 1), EXEC_TYPE_CANCELED, 0, 0);
    assert_int_equal(out(w, 0)->cl_ord_id, id_of(w, 2));
    assert_int_equal(out(w, 0)->qty, 7);
}

/* All of the new one comes off a larger one by REPLACE; that is refused: the larger one stays as it was, the new one is gone. */
static void test_held_takes_off_once_where_the_replace_is_refused(void **state)
{
    world_t *w = *state;
    stp(w, RISK_STP_MODE_DECREMENT);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10000, .qty = 5}), 0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 10001, .qty = 3}), 0);
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_REPLACE);
    assert_int_equal(out(w, 0)->qty, 2);
    venue(w, id_of(w, 1), EXEC_TYPE_REPLACE_REJECT, 0, 0);
    w->now += 2 * NS_PER_S;
    world_book(w, 0, 9990, 10010);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    assert_int_equal(row_of(w, 2)->ord_status, ORD_STATUS_CANCELED);
    assert_int_equal(
        order_leaves(order_at(engine_orders(w->engine), order_find(engine_orders(w->engine), id_of(w, 1)))), 5);
}

/* CANCEL_BOTH: what it crosses is cancelled, and the new one is denied and does not come back. */
static void test_held_cancels_both(void **state)
{
    world_t *w = *state;
    stp(w, RISK_STP_MODE_CANCEL_BOTH);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10000, .qty = 5}), 0);
    const uint64_t near = w->id;
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10001, .qty = 5}), 0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10002, .qty = 5}), 0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 10001, .qty = 7}), RISK_SELF_TRADE);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 2);
    assert_int_equal(out(w, 0)->orig_cl_ord_id + out(w, 1)->orig_cl_ord_id, id_of(w, near) + id_of(w, near + 1));
    venue(w, id_of(w, near), EXEC_TYPE_CANCELED, 0, 0);
    venue(w, id_of(w, near + 1), EXEC_TYPE_CANCELED, 0, 0);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    assert_int_equal(held_count(engine_held(w->engine)), 0);
}

/* ---- algorithms -------------------------------------------------------------------------------------------------- */
static void test_held_twap_by_hand(void **state)
{
    world_t      *w   = *state;
    const int64_t utc = w->now + w->utc_ahead;
    assert_int_equal(hold(w, (order_terms_req_t){.side          = SIDE_BUY,
                                                 .px            = 9995,
                                                 .qty           = 10,
                                                 .algo          = ALGO_TWAP,
                                                 .algo_arg      = 4,
                                                 .expire_utc_ns = utc + 400 * MS}),
                     0);
    assert_int_equal(out(w, 0)->qty, 2); /* 2, 3, 2, 3 */
    const uint64_t first = out(w, 0)->cl_ord_id;
    venue(w, first, EXEC_TYPE_TRADE, 9995, 1);
    world_tick(w, 100 * MS); /* the slot is over: what is open is called back */
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_CANCEL);
    venue(w, first, EXEC_TYPE_CANCELED, 0, 0);
    assert_int_equal(out(w, 0)->qty, 4); /* and carried on */
    venue(w, out(w, 0)->cl_ord_id, EXEC_TYPE_TRADE, 9994, 4);
    world_tick(w, 100 * MS);
    assert_int_equal(out(w, 0)->qty, 2);
    venue(w, out(w, 0)->cl_ord_id, EXEC_TYPE_TRADE, 9993, 2);
    world_tick(w, 100 * MS);
    assert_int_equal(out(w, 0)->qty, 3);
    const uint64_t last = out(w, 0)->cl_ord_id;
    world_tick(w, 100 * MS);
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_CANCEL);
    venue(w, last, EXEC_TYPE_TRADE, 9995, 1);
    venue(w, last, EXEC_TYPE_CANCELED, 0, 0);
    assert_true(told(w, 1, EXEC_TYPE_EXPIRED));
    assert_int_equal(record_of(w, 1).cum_qty, 8);
    assert_int_equal(record_of(w, 1).avg_px, (9995 + 4 * 9994 + 2 * 9993 + 9995) / 8);
}

static void test_held_iceberg_shows_a_part_at_a_time(void **state)
{
    world_t *w = *state;
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 9995, .qty = 10, .display_qty = 4}), 0);
    static const int64_t shown[] = {4, 4, 2};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(out(w, 0)->qty, shown[i]); /* equal slices in a moment are no duplicates (277) */
        venue(w, out(w, 0)->cl_ord_id, EXEC_TYPE_TRADE, 9995, shown[i]);
    }
    assert_int_equal(row_of(w, 1)->ord_status, ORD_STATUS_FILLED);
    assert_true(told(w, 1, EXEC_TYPE_ORDER_STATUS));
}

static void test_held_algorithm_is_suspended_after_denials_and_resumed(void **state)
{
    world_t *w = *state;
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 11000, .qty = 10, .display_qty = 4}),
                     0); /* over the collar */
    for (int i = 0; i < 12 && row_of(w, 1)->ord_status != ORD_STATUS_SUSPENDED; i++) {
        w->now += NS_PER_S;
        world_book(w, 0, 9990, 10010);
    }
    assert_int_equal(row_of(w, 1)->ord_status, ORD_STATUS_SUSPENDED);
    assert_int_equal(row_of(w, 1)->denials, 8);
    assert_int_equal(change(w, ORDER_ACTION_REPLACE, 1, 9995, 10), 0);
    assert_int_equal(out(w, 0)->px, 9995);
}

/* ---- refused, cancelled ------------------------------------------------------------------------------------------ */
static void test_held_denied_release_is_rejected(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_BUY, .ord_type = ORD_TYPE_STOP_LIMIT, .stop_px = 10020, .px = 12000, .qty = 1}),
        0);
    trade(w, 10020);
    assert_true(told(w, 1, EXEC_TYPE_REJECTED));
    assert_true(alarmed(w, ALARM_HELD));
    assert_int_equal(row_of(w, 1)->code, RISK_COLLAR_BUY);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
}

static void test_held_release_waits_for_what_passes(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w, (order_terms_req_t){.side = SIDE_SELL, .ord_type = ORD_TYPE_STOP, .stop_px = 9950, .qty = 1}), 0);
    world_control(w, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 0);
    trade(w, 9950);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    world_control(w, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 1);
    w->now += NS_PER_S;
    world_book(w, 0, 9990, 10010);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
}

static void test_held_cancel_and_replace_reach_what_waits(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_BUY, .ord_type = ORD_TYPE_STOP_LIMIT, .stop_px = 10050, .px = 10060, .qty = 4}),
        0);
    assert_int_equal(change(w, ORDER_ACTION_REPLACE, 1, 10070, 6), 0);
    assert_true(told(w, 1, EXEC_TYPE_REPLACED));
    assert_int_equal(record_of(w, 1).order_qty, 6);
    assert_int_equal(change(w, ORDER_ACTION_REPLACE, 1, -1, 6), RISK_PRICE_NOT_POSITIVE);
    assert_int_equal(change(w, ORDER_ACTION_CANCEL, 1, 0, 0), 0);
    assert_true(told(w, 1, EXEC_TYPE_CANCELED));
    assert_int_equal(change(w, ORDER_ACTION_CANCEL, 1, 0, 0), RISK_UNKNOWN_ORDER);
    trade(w, 10050);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
}

static void test_held_kill_and_mass_cancel_reach_it(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w, (order_terms_req_t){.side = SIDE_BUY, .ord_type = ORD_TYPE_STOP, .stop_px = 10050, .qty = 4}), 0);
    world_control(w, CONTROL_KILL, SCOPE_ACCOUNT, 1, 1);
    assert_int_equal(row_of(w, 1)->ord_status, ORD_STATUS_CANCELED);
    assert_int_equal(
        hold(w, (order_terms_req_t){.side = SIDE_BUY, .ord_type = ORD_TYPE_STOP, .stop_px = 10050, .qty = 4}),
        RISK_KILL_ACCOUNT);
    world_control(w, CONTROL_KILL, SCOPE_ACCOUNT, 1, 0);
    assert_int_equal(
        hold(w, (order_terms_req_t){.side = SIDE_BUY, .ord_type = ORD_TYPE_STOP, .stop_px = 10050, .qty = 4}), 0);
    const lane_t shut = world_lane(w, 1, LANE_CLOSED, LANE_KEEP);
    assert_int_equal(world_apply_body(w, MSG_LANE, &shut), ERR_OK);
    assert_int_equal(row_of(w, 3)->ord_status, ORD_STATUS_NEW); /* kept by policy */
}

static void test_held_mass_cancel_counts_what_it_cancels(void **state)
{
    world_t            *w   = *state;
    const mass_cancel_t all = {.request_id = id_of(w, 90), .account_id = 1};
    assert_int_equal(
        hold(w, (order_terms_req_t){.side = SIDE_BUY, .ord_type = ORD_TYPE_STOP, .stop_px = 10050, .qty = 4}), 0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 9980, .qty = 10, .display_qty = 4}), 0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_BUY, .px = 9981, .qty = 1}), 0); /* plain */
    assert_int_equal(world_apply_body(w, MSG_MASS_CANCEL, &all), ERR_OK);
    assert_int_equal(((const verdict_t *)world_out_first(w, MSG_VERDICT))->observed, 3); /* the iceberg is one */
    assert_true(told(w, 1, EXEC_TYPE_CANCELED));
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 2);
    const mass_cancel_t sells = {.request_id = id_of(w, 91), .account_id = 1, .side = SIDE_SELL};
    assert_int_equal(world_apply_body(w, MSG_MASS_CANCEL, &sells), ERR_OK);
    assert_int_equal(((const verdict_t *)world_out_first(w, MSG_VERDICT))->observed, 0);
}

/* ---- venues that know less, or more ------------------------------------------------------------------------------ */
static void venue_knows(world_t *w, uint64_t types, uint32_t tifs, uint32_t features)
{
    const venue_def_t def = {.ord_types = types, .tifs = tifs, .features = features, .venue_id = 1};
    assert_int_equal(world_apply_body(w, MSG_VENUE_DEF, &def), ERR_OK);
}

static void test_held_nothing_that_the_venue_cannot_do_in_the_end(void **state)
{
    world_t          *w       = *state;
    order_terms_req_t t       = {.side = SIDE_BUY, .px = 9995, .qty = 4, .display_qty = 5};
    const uint32_t    resting = 1u << TIF_DAY | 1u << TIF_GTC;
    assert_int_equal(hold(w, t), RISK_BAD_MESSAGE); /* shows more than there is */
    t.display_qty = 4;
    assert_int_equal(hold(w, t), 0);
    t = (order_terms_req_t){
        .side = SIDE_BUY, .ord_type = ORD_TYPE_STOP_LIMIT, .stop_px = 10050, .px = 10060, .qty = 1, .tif = TIF_IOC};
    assert_int_equal(hold(w, t), 0); /* a venue that has said nothing has IOC and FOK */
    venue_knows(w, 1u << ORD_TYPE_LIMIT, resting, 0);
    assert_int_equal(hold(w, t), RISK_ORDER_TYPE_NOT_PERMITTED);
    t.tif = TIF_FOK;
    assert_int_equal(hold(w, t), RISK_ORDER_TYPE_NOT_PERMITTED);
    t.tif       = TIF_GTC;
    t.exec_inst = EXEC_INST_POST_ONLY;
    assert_int_equal(hold(w, t), RISK_ORDER_TYPE_NOT_PERMITTED);
    t.exec_inst = 0;
    assert_int_equal(hold(w, t), 0);
    t = (order_terms_req_t){.side = SIDE_BUY, .ord_type = ORD_TYPE_STOP, .stop_px = 10050, .qty = 1, .tif = TIF_FOK};
    assert_int_equal(hold(w, t), RISK_ORDER_TYPE_NOT_PERMITTED);
    t.tif = TIF_IOC; /* what a market order leaves as, anywhere */
    assert_int_equal(hold(w, t), 0);
    t = (order_terms_req_t){
        .side = SIDE_BUY, .px = 9995, .qty = 1, .tif = TIF_IOC, .list_id = UINT64_MAX, .contingency = CONTINGENCY_OCO};
    assert_int_equal(hold(w, t), RISK_ORDER_TYPE_NOT_PERMITTED);
}

static void test_held_native_where_the_venue_has_it(void **state)
{
    world_t          *w    = *state;
    order_terms_req_t stop = {
        .side = SIDE_BUY, .ord_type = ORD_TYPE_STOP_LIMIT, .stop_px = 10050, .px = 10060, .qty = 3};
    venue_knows(w, 1u << ORD_TYPE_LIMIT | 1u << ORD_TYPE_STOP_LIMIT, 1u << TIF_GTC | 1u << TIF_IOC, VENUE_ICEBERG);
    assert_int_equal(hold(w, stop), 0);
    const order_terms_req_t *left = world_out_first(w, MSG_ORDER_TERMS_REQUEST);
    assert_non_null(left);
    assert_int_equal(left->cl_ord_id, id_of(w, 1));
    assert_int_equal(left->ord_type, ORD_TYPE_STOP_LIMIT);
    assert_int_equal(left->stop_px, 10050);
    assert_int_equal(left->px, 10060);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    assert_int_equal(held_count(engine_held(w->engine)), 0);
    trade(w, 10055); /* the venue's to watch */
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    order_terms_req_t ice = {.side = SIDE_BUY, .px = 9995, .qty = 10, .display_qty = 4};
    assert_int_equal(hold(w, ice), 0);
    left = world_out_first(w, MSG_ORDER_TERMS_REQUEST);
    assert_non_null(left);
    assert_int_equal(left->qty, 10);
    assert_int_equal(left->display_qty, 4);
    assert_int_equal(left->algo, ALGO_NONE);
    assert_int_equal(held_count(engine_held(w->engine)), 0);
    ice.algo = ALGO_ICEBERG; /* the engine's is asked for */
    ice.px   = 9994;
    assert_int_equal(hold(w, ice), 0);
    assert_int_equal(out(w, 0)->qty, 4);
    stop.trigger = TRIGGER_BEST; /* a time in force that it lacks: ours to watch */
    stop.tif     = TIF_DAY;
    assert_int_equal(hold(w, stop), 0);
    assert_int_equal(world_out_count(w, MSG_ORDER_TERMS_REQUEST), 0);
    assert_int_equal(held_count(engine_held(w->engine)), 2);
}

static void test_held_terms_that_make_no_sense(void **state)
{
    world_t *w = *state;
    static const struct {
        order_terms_req_t t;
        uint16_t          code;
    } c[] = {
        {{.ord_type = 77}, RISK_BAD_SIDE_TYPE_OR_TIF},
        {{.tif = 6}, RISK_BAD_SIDE_TYPE_OR_TIF},
        {{.ord_type = ORD_TYPE_STOP}, RISK_PRICE_NOT_POSITIVE},
        {{.ord_type = ORD_TYPE_TRAILING_STOP}, RISK_PRICE_NOT_POSITIVE},
        {{.ord_type = ORD_TYPE_TRAILING_STOP_LIMIT, .trail = 1}, RISK_PRICE_NOT_POSITIVE},
        {{.ord_type = ORD_TYPE_STOP_LIMIT, .stop_px = 10}, RISK_PRICE_NOT_POSITIVE},
        {{.px = 9990, .stop_px = 3}, RISK_BAD_MESSAGE},
        {{.px = 9990, .trail = 3}, RISK_BAD_MESSAGE},
        {{.px = 9990, .contingency = CONTINGENCY_OCO}, RISK_BAD_MESSAGE},
        {{.px = 9990, .list_id = UINT64_MAX}, RISK_BAD_MESSAGE},
        {{.px = 9990, .list_id = 9, .contingency = CONTINGENCY_OCO}, RISK_UNKNOWN_ORDER},
        {{.px = 9990, .trigger = 3}, RISK_BAD_MESSAGE},
        {{.px = 9990, .algo = ALGO_TWAP}, RISK_BAD_SIDE_TYPE_OR_TIF},
        {{.px = 9990, .algo = ALGO_ICEBERG}, RISK_QTY_NOT_POSITIVE},
        {{.ord_type = ORD_TYPE_STOP, .stop_px = 10, .algo = ALGO_ICEBERG, .display_qty = 1}, RISK_BAD_MESSAGE},
        {{.ord_type = ORD_TYPE_STOP, .stop_px = 10, .tif = TIF_OPG}, RISK_BAD_SIDE_TYPE_OR_TIF},
    };
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        order_terms_req_t t = c[i].t;
        t.side              = SIDE_BUY;
        t.qty               = 4;
        assert_int_equal(hold(w, t), c[i].code);
    }
    assert_int_equal(held_count(engine_held(w->engine)), 0);
}

/* ---- random terms on a random market ----------------------------------------------------------------------------- */
/* What must hold of every held order, looked up the slow way. */
static void check_rows(const world_t *w)
{
    const held_table_t  *t      = engine_held(w->engine);
    const order_table_t *orders = engine_orders(w->engine);
    for (uint32_t row = 0; row < held_rows(t); row++) {
        const held_t *h   = held_peek(t, row);
        int64_t       cum = 0, leaves = 0;
        const bool    sliced = h->terms.algo || h->terms.ord_type == ORD_TYPE_MARKET_TO_LIMIT;
        for (uint32_t i = 0; i < order_rows(orders); i++) {
            const order_t *o     = order_at(orders, i);
            const uint32_t slice = held_slice_find(t, o->cl_ord_id);
            if (slice != HELD_NONE && held_slice_peek(t, slice)->row == row) {
                cum += o->cum_qty;
                leaves += order_leaves(o);
                assert_true(sliced == (cl_ord_id_origin(o->cl_ord_id) == 0) || o->cl_ord_id != h->terms.cl_ord_id);
            }
        }
        assert_int_equal(h->cum_qty, cum);
        assert_true(h->stage != HELD_STAGE_DONE || leaves == 0);
        assert_true(h->stage == HELD_STAGE_DONE || h->list_head != HELD_NONE || cum + leaves <= h->terms.qty);
        assert_true(h->terms.algo != ALGO_ICEBERG || leaves <= h->terms.display_qty);
    }
}

static order_terms_req_t random_terms(const world_t *w)
{
    order_terms_req_t t = {.side = (uint8_t)(1 + rand() % 2), .qty = 1 + rand() % 40, .px = 9950 + rand() % 100};
    t.ord_type          = (uint8_t)(1 + rand() % 9);
    if (rand() % 4 == 0) {
        t.ord_type      = ORD_TYPE_LIMIT;
        t.algo          = (uint8_t)(1 + rand() % 3);
        t.display_qty   = t.algo == ALGO_ICEBERG ? 1 + rand() % 10 : 0;
        t.algo_arg      = (uint8_t)(t.algo == ALGO_ICEBERG ? 0 : rand() % 6);
        t.expire_utc_ns = t.algo == ALGO_ICEBERG ? 0 : w->now + w->utc_ahead + rand() % 3000 * MS;
    } else if (t.ord_type >= ORD_TYPE_STOP && t.ord_type != ORD_TYPE_MARKET_TO_LIMIT) {
        t.stop_px = 9950 + rand() % 100;
        t.trail =
            t.ord_type == ORD_TYPE_TRAILING_STOP || t.ord_type == ORD_TYPE_TRAILING_STOP_LIMIT ? 1 + rand() % 40 : 0;
        t.trigger = (uint8_t)(rand() % 3);
    } else if (t.ord_type != ORD_TYPE_LIMIT) {
        t.px = 0;
    }
    if (rand() % 2) {
        t.list_id     = rand() % 2 ? UINT64_MAX : 1 + (uint64_t)rand() % (w->id + 1);
        t.contingency = (uint8_t)(rand() % 5);
    }
    return t;
}

/* An open order, and something that a venue may say of it. */
static void random_report(world_t *w)
{
    const order_table_t *orders = engine_orders(w->engine);
    uint32_t             row    = order_first(orders);
    for (int skip = rand() % 8; skip > 0 && row != ORDER_NONE; skip--) {
        row = order_next(orders, row);
    }
    if (row == ORDER_NONE) {
        return;
    }
    const order_t *o = order_at(orders, row);
    switch (rand() % 8) {
    case 0: venue(w, o->cl_ord_id, EXEC_TYPE_NEW, 0, 0); break;
    case 1: venue(w, o->cl_ord_id, EXEC_TYPE_REJECTED, 0, 0); break;
    case 2:
    case 3: venue(w, o->cl_ord_id, EXEC_TYPE_CANCELED, 0, 0); break;
    case 4: venue(w, o->cl_ord_id, rand() % 2 ? EXEC_TYPE_CANCEL_REJECT : EXEC_TYPE_REPLACE_REJECT, 0, 0); break;
    case 5: venue(w, o->cl_ord_id, EXEC_TYPE_TIMEOUT, 0, 0); break;
    default:
        if (order_leaves(o) > 0) {
            venue(w, o->cl_ord_id, EXEC_TYPE_TRADE, o->px, 1 + rand() % order_leaves(o));
        }
    }
}

static void test_held_random_terms_on_a_random_market(void **state)
{
    world_t       *w     = *state;
    const char    *given = getenv("HWAL_SEED");
    const unsigned seed  = given ? (unsigned)strtoul(given, NULL, 10) : 20260;
    const int      steps = getenv("HWAL_QUICK") ? 600 : 4000;
    printf("HWAL_SEED=%u\n", seed);
    srand(seed);
    for (int i = 0; i < steps; i++) {
        world_t        copy;
        const unsigned draw = (unsigned)rand();
        world_copy(&copy, w);
        world_t *both[] = {&copy, w};
        for (int k = 0; k < 2; k++) {
            srand(draw);
            both[k]->now += rand() % 50 * MS;
            switch (rand() % 5) {
            case 0: hold(both[k], random_terms(both[k])); break;
            case 1: world_book(both[k], 0, 9950 + rand() % 50, 10001 + rand() % 50); break;
            case 2: trade(both[k], 9950 + rand() % 100); break;
            case 3: world_tick(both[k], 20 * MS); break;
            default: random_report(both[k]);
            }
        }
        assert_int_equal(engine_output_hash(copy.engine), engine_output_hash(w->engine));
        if (i % 20 == 0) {
            assert_int_equal(engine_state_hash(copy.engine), engine_state_hash(w->engine));
        }
        check_rows(w);
        world_close(&copy);
    }
}

/* 3 of 4 of the volume of the day before came in the first of the two half hours. */
static void test_held_vwap_follows_the_volume_of_the_day_before(void **state)
{
    world_t      *w    = *state;
    const int64_t half = 1800 * NS_PER_S;
    world_limit(w, SCOPE_INSTRUMENT, 1, RISK_FIELD_adv_bp, RISK_OFF); /* it is more than a day's volume */
    w->utc_ahead += NS_PER_DAY - (w->now + w->utc_ahead) % NS_PER_DAY; /* midnight */
    world_tick(w, 0);
    for (int i = 0; i < 3; i++) {
        trade(w, 10000);
    }
    w->utc_ahead += half;
    world_tick(w, 0);
    trade(w, 10000);
    w->utc_ahead += NS_PER_DAY - half;
    world_tick(w, 0);
    trade(w, 10000); /* the day after: it counts from now on */
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(hold(w, (order_terms_req_t){.side          = SIDE_BUY,
                                                 .px            = 9995,
                                                 .qty           = 40,
                                                 .algo          = ALGO_VWAP,
                                                 .algo_arg      = 2,
                                                 .expire_utc_ns = w->now + w->utc_ahead + 2 * half}),
                     0);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
    assert_int_equal(out(w, 0)->qty, 30);
    assert_int_equal(cl_ord_id_origin(out(w, 0)->cl_ord_id), 0);
    venue(w, out(w, 0)->cl_ord_id, EXEC_TYPE_TRADE, 9995, 30);
    w->now += half;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
    assert_int_equal(out(w, 0)->qty, 10);
    venue(w, out(w, 0)->cl_ord_id, EXEC_TYPE_TRADE, 9995, 10);
    assert_int_equal(row_of(w, 1)->ord_status, ORD_STATUS_FILLED);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_held_stop_leaves_when_its_price_trades),
        T(test_held_types_on_their_side_of_the_market),
        T(test_held_looks_at_what_it_was_told_to),
        T(test_held_never_triggers_on_a_broken_book_but_at_the_first_look_after),
        T(test_held_stop_beyond_the_market_leaves_at_once),
        T(test_held_trailing_stop_follows_and_never_loosens),
        T(test_held_market_to_limit_rests_at_the_price_of_its_fills),
        T(test_held_gtd_is_cancelled_at_its_time),
        T(test_held_gtd_is_judged_at_once),
        T(test_held_auction_orders),
        T(test_held_auction_order_leaves_in_its_auction_and_ends_with_it),
        T(test_held_waits_until_the_oldest_is_dead),
        T(test_held_takes_the_smaller_quantity_off_both),
        T(test_held_takes_nothing_off_twice),
        T(test_held_takes_off_once_where_the_replace_is_refused),
        T(test_held_twap_by_hand),
        T(test_held_vwap_follows_the_volume_of_the_day_before),
        T(test_held_cancels_both),
        T(test_held_iceberg_shows_a_part_at_a_time),
        T(test_held_algorithm_is_suspended_after_denials_and_resumed),
        T(test_held_denied_release_is_rejected),
        T(test_held_release_waits_for_what_passes),
        T(test_held_cancel_and_replace_reach_what_waits),
        T(test_held_kill_and_mass_cancel_reach_it),
        T(test_held_mass_cancel_counts_what_it_cancels),
        T(test_held_nothing_that_the_venue_cannot_do_in_the_end),
        T(test_held_native_where_the_venue_has_it),
        T(test_held_terms_that_make_no_sense),
        T(test_held_random_terms_on_a_random_market),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
