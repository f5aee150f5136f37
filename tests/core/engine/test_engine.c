/* The engine as a whole, driven by hand-made messages.
 *
 * Checked   a snapshot (a copy of the arena) continues exactly as the original; no order is priced on a book that is
 * not LIVE; a kill flag stops new orders at once and sends a cancel for every open order; each fill is booked once and
 * equity by the two sides agrees after each input; messages that name nothing are refused; a market order leaves as a
 * limit at the collar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/engine_world.h"

#define MS NS_PER_MS

static int setup(void **state)
{
    world_t *w = calloc(1, sizeof *w);
    world_open(w, 3, 1);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

static void test_engine_prices_no_order_on_a_book_that_is_not_live(void **state)
{
    world_t *w = *state;
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_NO_REFERENCE_PRICE);
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_ACCEPTED);
    const feed_state_t broken = {.instrument_id = 1, .health = FEED_BROKEN, .reason = FEED_REASON_GAP};
    assert_int_equal(world_apply_body(w, MSG_FEED_STATE, &broken), ERR_OK);
    const alarm_t *alarm = world_out_first(w, MSG_ALARM);
    assert_non_null(alarm);
    assert_int_equal(alarm->kind, ALARM_FEED);
    assert_int_equal(alarm->code, FEED_REASON_GAP);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9991, .qty = 1}), RISK_FEED_GAP);
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9991, .qty = 1}), RISK_ACCEPTED);
}

static void test_engine_breaks_the_book_when_a_message_is_missing(void **state)
{
    world_t *w = *state;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    w->rpt_seq++; /* one never arrived */
    world_book(w, 0, 9991, 10011);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_BROKEN);
    assert_int_equal(book_reason(engine_book(w->engine, 1)), FEED_REASON_LOST);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_FEED_GAP);
}

static void test_engine_marks_a_silent_book_stale(void **state)
{
    world_t *w = *state;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    w->now += NS_PER_S;
    const tick_t at = {.mono_ns = w->now};
    assert_int_equal(world_apply_body(w, MSG_TICK, &at), ERR_OK);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_LIVE); /* exactly at the limit */
    w->now += 1;
    assert_int_equal(world_apply_body(w, MSG_TICK, &at), ERR_OK);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_STALE);
    world_book(w, 0, 9990, 10010);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_LIVE);
}

static void test_engine_books_a_fill_once(void **state)
{
    world_t   *w = *state;
    position_t position;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 10}), 0);
    const exec_report_t f = world_fill(w, 1, SIDE_BUY, 9990, 4);
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    assert_int_equal(world_out_count(w, MSG_POSITION), 1);
    const exec_report_t *told = world_out_first(w, MSG_EXEC_REPORT);
    assert_int_equal(told->cum_qty, 4);
    assert_int_equal(told->leaves_qty, 6);
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    assert_int_equal(world_out_count(w, MSG_POSITION), 0);
    assert_int_equal(world_out_count(w, MSG_EXEC_REPORT), 0);
    assert_true(portfolio_position(engine_portfolio(w->engine), 1, 1, &position));
    assert_int_equal(position.qty, 4);
    assert_int_equal(position.fees, 7);
    /* undone */
    exec_report_t bust = world_report(w, 1, EXEC_TYPE_TRADE_CANCEL);
    bust.exec_id_lo    = f.exec_id_lo;
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &bust), ERR_OK);
    assert_true(portfolio_position(engine_portfolio(w->engine), 1, 1, &position));
    assert_int_equal(position.qty, 0);
    assert_int_equal(position.fees, 0);
}

static void test_engine_kill_stops_new_orders_and_cancels_open_ones(void **state)
{
    world_t *w = *state;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9980 + (int64_t)i, .qty = 1}), 0);
    }
    world_control(w, CONTROL_KILL, SCOPE_ACCOUNT, 1, 1);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 3);
    const order_req_t *first = world_out_first(w, MSG_ORDER_REQUEST);
    assert_int_equal(first->action, ORDER_ACTION_CANCEL);
    assert_int_equal(first->orig_cl_ord_id, cl_ord_id_make(3, WORLD_ORIGIN, 3)); /* newest first */
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_KILL_ACCOUNT);
    world_book(w, 0, 9990, 10010);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0); /* each is cancelled once */
    world_control(w, CONTROL_KILL, SCOPE_ACCOUNT, 1, 0);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9970, .qty = 1}), 0);
}

static void test_engine_kill_reaches_all_orders_over_several_inputs(void **state)
{
    world_t *w      = *state;
    uint32_t opened = 0, cancels = 0;
    for (int64_t i = 0; i < 50; i++) { /* 50 open orders of an instrument is the limit */
        world_book(w, i ? 0 : BOOK_FLAG_SNAPSHOT, 9990, 10010);
        w->now += 20 * MS;
        opened += world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9900 + i, .qty = 1}) == 0;
    }
    assert_int_equal(opened, 50);
    world_control(w, CONTROL_KILL, SCOPE_GLOBAL, 0, 1);
    for (int i = 0; i < 4; i++) {
        cancels += world_out_count(w, MSG_ORDER_REQUEST);
        world_book(w, 0, 9990, 10010);
    }
    assert_int_equal(cancels, 50);
}

static void test_engine_market_order_leaves_as_limit_at_the_collar(void **state)
{
    world_t *w = *state;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .qty = 1, .ord_type = ORD_TYPE_MARKET}), 0);
    const order_req_t *sent = world_out_first(w, MSG_ORDER_REQUEST);
    assert_int_equal(sent->ord_type, ORD_TYPE_LIMIT);
    assert_int_equal(sent->tif, TIF_IOC);
    assert_int_equal(sent->px, 10300); /* 3 % above 10,000 */
}

static void test_engine_refuses_what_names_nothing(void **state)
{
    world_t               *w         = *state;
    const trade_t          nowhere   = {.instrument_id = 9};
    const verdict_t        not_input = {0};
    const instrument_def_t again     = {
            .venue_id = 1, .kind = INSTRUMENT_SPOT, .mult = 1, .lot = 1, .min_qty = 1, .settle_ccy = ccy_pack("USD")};
    const tick_band_t band    = {.tick = 1};
    const uint64_t    outputs = engine_output_hash(w->engine);
    assert_int_equal(world_apply_body(w, MSG_TRADE, &nowhere), ERR_NOT_FOUND);
    assert_int_equal(world_apply_body(w, MSG_VERDICT, &not_input), ERR_ARG);
    assert_int_equal(
        world_apply(w,
                    &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &again, .tail = &band, .tail_count = 1, .text = "X"}),
        ERR_EXISTS);
    assert_int_equal(engine_output_hash(w->engine), outputs);
    engine_out_t small = {.buf = w->out.buf, .cap = 100};
    assert_int_equal(engine_apply(w->engine, (now_t){0}, &(msg_t){.type = MSG_TICK}, &small), ERR_LIMIT);
}

/* ---- hostile or odd inputs, each of which once did harm --------------------------------------------------------- */
static void test_engine_survives_messages_that_say_more_than_they_hold(void **state)
{
    world_t            *w     = *state;
    const level_t       one   = {9990, 1};
    const book_update_t lying = {.instrument_id = 1, .flags = 7, .rpt_seq = 2, .bid_count = 3, .ask_count = 3};
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_apply(w, &(msg_t){.type = MSG_BOOK_UPDATE, .body = &lying, .tail = &one, .tail_count = 1}),
                     ERR_OK);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_BROKEN);
    assert_int_equal(book_reason(engine_book(w->engine, 1)), FEED_REASON_GARBLED); /* next in turn, and not believed */
    int64_t bid_px, bid_qty, ask_px, ask_qty;
    book_best(engine_book(w->engine, 1), &bid_px, &bid_qty, &ask_px, &ask_qty);
    assert_int_equal(bid_qty, 100); /* not one of its levels was applied */
    assert_int_equal(book_level_count(engine_book(w->engine, 1), SIDE_SELL), 2);
    assert_int_equal(world_apply(w, &(msg_t){.type = MSG_BOOK_UPDATE, .body = &lying}), ERR_OK);
    const instrument_def_t def = {.venue_id = 1, .kind = INSTRUMENT_SPOT};
    assert_int_equal(world_apply(w, &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def}), ERR_ARG);
    assert_int_equal(world_apply(w, &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def, .text = "Y", .tail_count = 1}),
                     ERR_ARG);
}

static void test_engine_report_on_an_instrument_that_contradicts_is_not_booked_there(void **state)
{
    world_t *w = *state;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 10}), 0);
    exec_report_t f = world_fill(w, 1, SIDE_BUY, 9990, 4);
    f.instrument_id = 2; /* room for it, but never defined */
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    assert_int_equal(world_out_count(w, MSG_POSITION), 0);
    assert_true(world_out_count(w, MSG_ALARM) > 0);
    f.exec_id_lo++;
    f.instrument_id = 0; /* not said: the order's own */
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    assert_int_equal(world_out_count(w, MSG_POSITION), 1);
}

static void test_engine_prices_nothing_on_a_stale_book(void **state)
{
    world_t           *w     = *state;
    const feed_state_t stale = {.instrument_id = 1, .health = FEED_STALE, .reason = FEED_REASON_AGE};
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_apply_body(w, MSG_FEED_STATE, &stale), ERR_OK);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_STALE_MARKET_DATA);
}

static void test_engine_kill_of_everything_is_lifted_by_any_name(void **state)
{
    world_t *w = *state;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    world_control(w, CONTROL_KILL, SCOPE_GLOBAL, 7, 1);
    world_control(w, CONTROL_KILL, SCOPE_GLOBAL, 0, 0);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), 0);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1); /* the order, and no cancel after it */
}

static void test_engine_kill_asks_again_only_after_a_while(void **state)
{
    world_t *w = *state;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), 0);
    world_control(w, CONTROL_KILL, SCOPE_GLOBAL, 0, 1);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
    exec_report_t refused = world_report(w, 1, EXEC_TYPE_CANCEL_REJECT);
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &refused), ERR_OK);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    w->now += NS_PER_S;
    world_book(w, 0, 9990, 10010);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
}

static void test_engine_reduce_only_order_opens_nothing(void **state)
{
    world_t *w = *state;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(
        world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1, .exec_inst = EXEC_INST_REDUCE_ONLY}),
        RISK_REDUCE_ONLY);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 5}), 0);
    const exec_report_t f = world_fill(w, 2, SIDE_BUY, 9990, 5);
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    assert_int_equal(
        world_order(w, (order_req_t){.side = SIDE_SELL, .px = 10010, .qty = 5, .exec_inst = EXEC_INST_REDUCE_ONLY}), 0);
    assert_int_equal(
        world_order(w, (order_req_t){.side = SIDE_SELL, .px = 10011, .qty = 1, .exec_inst = EXEC_INST_REDUCE_ONLY}),
        RISK_REDUCE_ONLY);
}

static void test_engine_foreign_ids_use_nothing_up(void **state)
{
    world_t    *w   = *state;
    order_req_t req = {.tenant_id       = 1,
                       .account_id      = 1,
                       .strategy_id     = 1,
                       .instrument_id   = 1,
                       .action          = ORDER_ACTION_NEW,
                       .side            = SIDE_BUY,
                       .ord_type        = ORD_TYPE_LIMIT,
                       .tif             = TIF_GTC,
                       .px              = 9990,
                       .qty             = 1,
                       .created_mono_ns = w->now};
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9989, .qty = 1}), 0); /* the lane is open */
    const uint64_t ids[] = {cl_ord_id_make(4095, WORLD_ORIGIN, CL_ORD_ID_SEQ_MAX),
                            cl_ord_id_make(3, 0, CL_ORD_ID_SEQ_MAX), cl_ord_id_make(3, 2, CL_ORD_ID_SEQ_MAX),
                            cl_ord_id_make(2, WORLD_ORIGIN, CL_ORD_ID_SEQ_MAX)};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        req.cl_ord_id = ids[i];
        assert_int_equal(world_apply_body(w, MSG_ORDER_REQUEST, &req), ERR_OK);
        assert_int_equal(((const verdict_t *)world_out_first(w, MSG_VERDICT))->code, RISK_BAD_CLIENT_ORDER_ID);
        assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    }
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), 0);
}

static void test_engine_replace_of_another_strategy_is_refused(void **state)
{
    world_t *w = *state;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 10}), 0);
    assert_int_equal(world_order(w, (order_req_t){.side           = SIDE_BUY,
                                                  .px             = 9990,
                                                  .qty            = 12,
                                                  .action         = ORDER_ACTION_REPLACE,
                                                  .orig_cl_ord_id = cl_ord_id_make(3, WORLD_ORIGIN, 1)}),
                     0);
    assert_int_equal(world_order(w, (order_req_t){.side           = SIDE_BUY,
                                                  .px             = 9990,
                                                  .qty            = 14,
                                                  .action         = ORDER_ACTION_REPLACE,
                                                  .orig_cl_ord_id = cl_ord_id_make(3, WORLD_ORIGIN, 1),
                                                  .strategy_id    = 2}),
                     RISK_UNKNOWN_ORDER);
}

static void test_engine_cancel_leaves_with_the_fields_of_its_order(void **state)
{
    world_t *w = *state;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 10}), 0);
    assert_int_equal(world_order(w, (order_req_t){.side           = 77,
                                                  .px             = INT64_MIN,
                                                  .qty            = INT64_MIN,
                                                  .action         = ORDER_ACTION_CANCEL,
                                                  .orig_cl_ord_id = cl_ord_id_make(3, WORLD_ORIGIN, 1)}),
                     0);
    const order_req_t *sent = world_out_first(w, MSG_ORDER_REQUEST);
    assert_int_equal(sent->side, SIDE_BUY);
    assert_int_equal(sent->px, 0);
    assert_int_equal(sent->qty, 0);
}

static void test_engine_wild_quote_does_not_lead_for_ever(void **state)
{
    world_t    *w    = *state;
    const top_t wild = {
        .instrument_id = 1, .venue_seq = UINT64_MAX, .bid_px = 5000, .bid_qty = 1, .ask_px = 5010, .ask_qty = 1};
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_apply_body(w, MSG_TOP, &wild), ERR_OK);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_COLLAR_BUY);
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010); /* a new beginning */
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), 0);
    assert_int_equal(world_apply_body(w, MSG_TOP, &wild), ERR_OK);
    w->now += NS_PER_S + 1; /* older than a quote may be */
    world_book(w, 0, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9991, .qty = 1}), 0);
}

static void test_engine_fill_that_is_no_money_keeps_the_account_closed(void **state)
{
    world_t *w = *state;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 10}), 0);
    const exec_report_t f = world_fill(w, 1, SIDE_BUY, INT64_MAX / 2, 10);
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_SELL, .px = 10010, .qty = 1}), RISK_UNRECONCILED);
    const control_t clear = {.kind = CONTROL_UNRECONCILED, .scope_type = SCOPE_ACCOUNT, .scope_id = 1};
    assert_int_equal(world_apply_body(w, MSG_CONTROL, &clear), ERR_STATE);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_SELL, .px = 10010, .qty = 1}), RISK_UNRECONCILED);
}

/* The same inputs to the original and to a copy of its bytes elsewhere: same outputs, same state. */
static void test_engine_snapshot_is_the_arena(void **state)
{
    world_t *w = *state;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 10}), 0);
    world_t copy;
    world_copy(&copy, w);
    memset(w->out.buf, 0x5a, 4096);
    world_t *both[] = {w, &copy};
    for (int i = 0; i < 2; i++) {
        const exec_report_t f = world_fill(both[i], 1, SIDE_BUY, 9990, 4);
        assert_int_equal(world_apply_body(both[i], MSG_EXEC_REPORT, &f), ERR_OK);
        world_book(both[i], 0, 9991, 10011);
        assert_int_equal(world_order(both[i], (order_req_t){.side = SIDE_SELL, .px = 10020, .qty = 3}), 0);
    }
    assert_int_equal(engine_output_hash(w->engine), engine_output_hash(copy.engine));
    assert_int_equal(engine_state_hash(w->engine), engine_state_hash(copy.engine));
    assert_int_equal(world_order(&copy, (order_req_t){.side = SIDE_SELL, .px = 10030, .qty = 3}), 0);
    assert_int_not_equal(engine_output_hash(w->engine), engine_output_hash(copy.engine));
    assert_int_not_equal(engine_state_hash(w->engine), engine_state_hash(copy.engine));
    world_close(&copy);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_engine_prices_no_order_on_a_book_that_is_not_live),
        T(test_engine_breaks_the_book_when_a_message_is_missing),
        T(test_engine_marks_a_silent_book_stale),
        T(test_engine_books_a_fill_once),
        T(test_engine_kill_stops_new_orders_and_cancels_open_ones),
        T(test_engine_kill_reaches_all_orders_over_several_inputs),
        T(test_engine_market_order_leaves_as_limit_at_the_collar),
        T(test_engine_refuses_what_names_nothing),
        T(test_engine_survives_messages_that_say_more_than_they_hold),
        T(test_engine_report_on_an_instrument_that_contradicts_is_not_booked_there),
        T(test_engine_prices_nothing_on_a_stale_book),
        T(test_engine_kill_of_everything_is_lifted_by_any_name),
        T(test_engine_kill_asks_again_only_after_a_while),
        T(test_engine_reduce_only_order_opens_nothing),
        T(test_engine_foreign_ids_use_nothing_up),
        T(test_engine_replace_of_another_strategy_is_refused),
        T(test_engine_cancel_leaves_with_the_fields_of_its_order),
        T(test_engine_wild_quote_does_not_lead_for_ever),
        T(test_engine_fill_that_is_no_money_keeps_the_account_closed),
        T(test_engine_snapshot_is_the_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
