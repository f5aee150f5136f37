/* Lists of orders with terms, driven by hand-made messages through the whole engine.
 *
 * Checked   every contingency by hand, fills that cross a cancel among them; a list one of whose orders is refused; children
 *           of an OTO that were cut short; lists over a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/held_world.h"

static void test_list_oco_fill_cancels_the_other(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_SELL, .px = 10050, .qty = 5, .list_id = UINT64_MAX, .contingency = CONTINGENCY_OCO}),
        0);
    assert_int_equal(hold(w, (order_terms_req_t){.side        = SIDE_SELL,
                                                 .ord_type    = ORD_TYPE_STOP,
                                                 .stop_px     = 9950,
                                                 .qty         = 5,
                                                 .list_id     = 1,
                                                 .contingency = CONTINGENCY_OCO}),
                     0);
    venue(w, id_of(w, 1), EXEC_TYPE_TRADE, 10050, 1);
    assert_true(told(w, 2, EXEC_TYPE_CANCELED)); /* the first fill does it */
    assert_int_equal(row_of(w, 2)->ord_status, ORD_STATUS_CANCELED);
    trade(w, 9900);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    assert_int_equal(hold(w,
                          (order_terms_req_t){
                              .side = SIDE_SELL, .px = 10060, .qty = 5, .list_id = 1, .contingency = CONTINGENCY_OCO}),
                     RISK_ORDER_NOT_OPEN);
}

static void test_list_oco_both_filled_is_an_alarm_and_booked(void **state)
{
    world_t   *w = *state;
    position_t position;
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_SELL, .px = 10050, .qty = 5, .list_id = UINT64_MAX, .contingency = CONTINGENCY_OCO}),
        0);
    assert_int_equal(hold(w,
                          (order_terms_req_t){
                              .side = SIDE_SELL, .px = 10060, .qty = 5, .list_id = 1, .contingency = CONTINGENCY_OCO}),
                     0);
    venue(w, id_of(w, 1), EXEC_TYPE_TRADE, 10050, 5);
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_CANCEL);
    venue(w, id_of(w, 2), EXEC_TYPE_TRADE, 10060, 2);
    assert_true(alarmed(w, ALARM_LIST));
    venue(w, id_of(w, 2), EXEC_TYPE_CANCELED, 0, 0);
    assert_true(portfolio_position(engine_portfolio(w->engine), 1, 1, &position));
    assert_int_equal(position.qty, -7);
}

static void test_list_oco_refused_leg_is_an_alarm_and_the_stop_stays(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_SELL, .px = 10050, .qty = 5, .list_id = UINT64_MAX, .contingency = CONTINGENCY_OCO}),
        0);
    assert_int_equal(hold(w, (order_terms_req_t){.side        = SIDE_SELL,
                                                 .ord_type    = ORD_TYPE_STOP,
                                                 .stop_px     = 9950,
                                                 .qty         = 5,
                                                 .list_id     = 1,
                                                 .contingency = CONTINGENCY_OCO}),
                     0);
    venue(w, id_of(w, 1), EXEC_TYPE_REJECTED, 0, 0);
    assert_true(alarmed(w, ALARM_HELD));
    trade(w, 9950);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
}

static void test_list_oco_waits_while_the_other_is_unknown(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_SELL, .px = 10050, .qty = 5, .list_id = UINT64_MAX, .contingency = CONTINGENCY_OCO}),
        0);
    assert_int_equal(hold(w, (order_terms_req_t){.side        = SIDE_SELL,
                                                 .ord_type    = ORD_TYPE_STOP,
                                                 .stop_px     = 9950,
                                                 .qty         = 5,
                                                 .list_id     = 1,
                                                 .contingency = CONTINGENCY_OCO}),
                     0);
    venue(w, id_of(w, 1), EXEC_TYPE_TIMEOUT, 0, 0);
    trade(w, 9950);
    assert_true(told(w, 2, EXEC_TYPE_TRIGGERED));
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    venue(w, id_of(w, 1), EXEC_TYPE_CANCELED, 0, 0); /* proven dead */
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
    assert_int_equal(out(w, 0)->cl_ord_id, id_of(w, 2));
}

static void test_list_bracket_frees_as_much_as_was_filled(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_BUY, .px = 10010, .qty = 10, .list_id = UINT64_MAX, .contingency = CONTINGENCY_OTO}),
        0);
    assert_int_equal(out(w, 0)->qty, 10);
    assert_int_equal(hold(w,
                          (order_terms_req_t){
                              .side = SIDE_SELL, .px = 10100, .qty = 10, .list_id = 1, .contingency = CONTINGENCY_OCO}),
                     0);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    assert_int_equal(hold(w, (order_terms_req_t){.side        = SIDE_SELL,
                                                 .ord_type    = ORD_TYPE_STOP,
                                                 .stop_px     = 9900,
                                                 .qty         = 10,
                                                 .list_id     = 1,
                                                 .contingency = CONTINGENCY_OCO}),
                     0);
    venue(w, id_of(w, 1), EXEC_TYPE_TRADE, 10010, 4);
    assert_int_equal(out(w, 0)->cl_ord_id, id_of(w, 2));
    assert_int_equal(out(w, 0)->qty, 4);
    venue(w, id_of(w, 1), EXEC_TYPE_TRADE, 10010, 3);
    assert_int_equal(out(w, 0)->qty, 3); /* one more beside it */
    assert_int_equal(cl_ord_id_origin(out(w, 0)->cl_ord_id), 0);
    venue(w, id_of(w, 1), EXEC_TYPE_CANCELED, 0, 0); /* the rest never comes */
    assert_true(told(w, 2, EXEC_TYPE_RESTATED));
    assert_int_equal(record_of(w, 2).order_qty, 7);
    trade(w, 9900);
    assert_int_equal(out(w, 0)->cl_ord_id, id_of(w, 3));
    assert_int_equal(out(w, 0)->qty, 7);
}

static void test_list_oto_first_that_fails_takes_its_children(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_BUY, .px = 9990, .qty = 10, .list_id = UINT64_MAX, .contingency = CONTINGENCY_OTO}),
        0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10100, .qty = 10, .list_id = 1}), 0);
    venue(w, id_of(w, 1), EXEC_TYPE_REJECTED, 0, 0);
    assert_true(told(w, 2, EXEC_TYPE_CANCELED));
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10100, .qty = 10, .list_id = 1}),
                     RISK_ORDER_NOT_OPEN);
    /* denied at the gate: there is no list */
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_BUY, .px = 9990, .qty = 5000, .list_id = UINT64_MAX, .contingency = CONTINGENCY_OTO}),
        RISK_MAX_ORDER_QTY);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10100, .qty = 10, .list_id = 4}),
                     RISK_UNKNOWN_ORDER);
}

static void test_list_ouo_makes_the_others_smaller(void **state)
{
    world_t *w = *state;
    assert_int_equal(hold(w, (order_terms_req_t){.side        = SIDE_SELL,
                                                 .px          = 10050,
                                                 .qty         = 10,
                                                 .list_id     = UINT64_MAX,
                                                 .contingency = CONTINGENCY_OUO_ABSOLUTE}),
                     0);
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_SELL, .px = 10060, .qty = 20, .list_id = 1, .contingency = CONTINGENCY_OUO_ABSOLUTE}),
        0);
    venue(w, id_of(w, 1), EXEC_TYPE_TRADE, 10050, 3);
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_REPLACE);
    assert_int_equal(out(w, 0)->qty, 17);
    venue(w, id_of(w, 2), EXEC_TYPE_REPLACED, 10060, 17);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    assert_int_equal(record_of(w, 2).order_qty, 20);
    venue(w, id_of(w, 1), EXEC_TYPE_TRADE, 10050, 7);
    assert_int_equal(out(w, 0)->qty, 10);
    venue(w, id_of(w, 2), EXEC_TYPE_REPLACE_REJECT, 0, 0); /* then it is cancelled, and leaves again smaller */
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_CANCEL);
    venue(w, id_of(w, 2), EXEC_TYPE_CANCELED, 0, 0);
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_NEW);
    assert_int_equal(out(w, 0)->qty, 10);
}

static void test_list_ouo_in_proportion(void **state)
{
    world_t *w = *state;
    assert_int_equal(hold(w, (order_terms_req_t){.side        = SIDE_SELL,
                                                 .px          = 10050,
                                                 .qty         = 10,
                                                 .list_id     = UINT64_MAX,
                                                 .contingency = CONTINGENCY_OUO_PROPORTIONAL}),
                     0);
    assert_int_equal(hold(w, (order_terms_req_t){.side        = SIDE_SELL,
                                                 .ord_type    = ORD_TYPE_STOP,
                                                 .stop_px     = 9950,
                                                 .qty         = 5,
                                                 .list_id     = 1,
                                                 .contingency = CONTINGENCY_OUO_PROPORTIONAL}),
                     0);
    venue(w, id_of(w, 1), EXEC_TYPE_TRADE, 10050, 3); /* 3 of 10: 1.5 of 5, rounded up, come off */
    trade(w, 9950);
    assert_int_equal(out(w, 0)->qty, 3);
    venue(w, id_of(w, 1), EXEC_TYPE_TRADE, 10050, 7);
    assert_int_equal(out(w, 0)->action, ORDER_ACTION_CANCEL);
}

/* ---- a list one of whose orders is denied ------------------------------------------------------------------------ */
static const exec_report_t *report_of(const world_t *w, uint64_t seq, exec_type_t type)
{
    for (uint32_t n = 0;; n++) {
        const exec_report_t *r = world_out(w, MSG_EXEC_REPORT, n);
        if (!r || (r->cl_ord_id == id_of(w, seq) && r->exec_type == (uint8_t)type)) {
            return r;
        }
    }
}

static void test_list_denied_whole_while_its_first_has_not_left(void **state)
{
    world_t                *w    = *state;
    const order_terms_req_t stop = {
        .side = SIDE_SELL, .ord_type = ORD_TYPE_STOP, .qty = 5, .list_id = 1, .contingency = CONTINGENCY_OCO};
    assert_int_equal(hold(w, (order_terms_req_t){.side        = SIDE_BUY,
                                                 .ord_type    = ORD_TYPE_STOP,
                                                 .stop_px     = 10050,
                                                 .qty         = 5,
                                                 .list_id     = UINT64_MAX,
                                                 .contingency = CONTINGENCY_OTO}),
                     0);
    assert_int_equal(hold(w,
                          (order_terms_req_t){
                              .side = SIDE_SELL, .px = 10100, .qty = 5, .list_id = 1, .contingency = CONTINGENCY_OCO}),
                     0);
    assert_int_equal(hold(w, stop), RISK_PRICE_NOT_POSITIVE);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        const exec_report_t *r = report_of(w, seq, EXEC_TYPE_REJECTED);
        assert_non_null(r);
        assert_int_equal(r->reject_code, RISK_PRICE_NOT_POSITIVE);
        assert_int_equal(r->flags, EXEC_HELD | EXEC_DENIED);
        assert_int_equal(row_of(w, seq)->ord_status, ORD_STATUS_REJECTED);
    }
    assert_int_equal(held_count(engine_held(w->engine)), 0);
    trade(w, 10050);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    order_terms_req_t late = stop;
    late.stop_px           = 9900;
    assert_int_equal(hold(w, late), RISK_ORDER_NOT_OPEN);
}

/* By the gate, by its words, by another's list: the first two are of the list. */
static void test_list_is_denied_by_its_own_orders_only(void **state)
{
    world_t                *w     = *state;
    const order_terms_req_t first = {.side        = SIDE_BUY,
                                     .ord_type    = ORD_TYPE_STOP,
                                     .stop_px     = 10050,
                                     .qty         = 5,
                                     .list_id     = UINT64_MAX,
                                     .contingency = CONTINGENCY_OTO};
    order_terms_req_t       child = {.side = SIDE_SELL, .px = 10100, .qty = 5, .list_id = 1};
    assert_int_equal(hold(w, first), 0);
    assert_int_equal(hold(w, child), 0);
    w->id--; /* the same message again */
    assert_int_equal(hold(w, child), RISK_DUPLICATE_CLIENT_ORDER_ID);
    assert_int_equal(row_of(w, 1)->ord_status, ORD_STATUS_NEW);
    child.qty = 5000;
    assert_int_equal(hold(w, child), RISK_MAX_ORDER_QTY);
    assert_int_equal(row_of(w, 1)->ord_status, ORD_STATUS_REJECTED);
    assert_int_equal(row_of(w, 2)->ord_status, ORD_STATUS_REJECTED);
}

static void test_list_with_a_denied_child_is_told_when_its_first_has_left(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_BUY, .px = 10010, .qty = 5, .list_id = UINT64_MAX, .contingency = CONTINGENCY_OTO}),
        0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10100, .qty = 5000, .list_id = 1}),
                     RISK_MAX_ORDER_QTY);
    assert_true(alarmed(w, ALARM_LIST));
    const exec_report_t *r = report_of(w, 1, EXEC_TYPE_ORDER_STATUS);
    assert_non_null(r);
    assert_int_equal(r->reject_code, RISK_MAX_ORDER_QTY);
    assert_int_equal(row_of(w, 1)->ord_status, ORD_STATUS_NEW);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
}

/* ---- children that were cut short -------------------------------------------------------------------------------- */
static void test_list_child_cut_short_grows_on_a_late_fill(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_BUY, .px = 10010, .qty = 10, .list_id = UINT64_MAX, .contingency = CONTINGENCY_OTO}),
        0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10100, .qty = 20, .list_id = 1}), 0);
    venue(w, id_of(w, 1), EXEC_TYPE_TRADE, 10010, 4);
    assert_int_equal(out(w, 0)->qty, 8);
    venue(w, id_of(w, 1), EXEC_TYPE_CANCELED, 0, 0);
    assert_int_equal(record_of(w, 2).order_qty, 8);
    venue(w, id_of(w, 1), EXEC_TYPE_TRADE, 10010, 2); /* it crossed the cancel */
    assert_true(told(w, 2, EXEC_TYPE_RESTATED));
    assert_int_equal(record_of(w, 2).order_qty, 12);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
    assert_int_equal(out(w, 0)->qty, 4);
    assert_false(alarmed(w, ALARM_LIST));
    /* its owner has the last word */
    assert_int_equal(change(w, ORDER_ACTION_REPLACE, 2, 10100, 10), 0);
    venue(w, id_of(w, 1), EXEC_TYPE_TRADE, 10010, 4);
    assert_int_equal(record_of(w, 2).order_qty, 10);
}

static void test_list_child_that_ended_cut_short_cannot_grow_and_that_is_told(void **state)
{
    world_t *w = *state;
    assert_int_equal(
        hold(w,
             (order_terms_req_t){
                 .side = SIDE_BUY, .px = 10010, .qty = 10, .list_id = UINT64_MAX, .contingency = CONTINGENCY_OTO}),
        0);
    assert_int_equal(hold(w, (order_terms_req_t){.side = SIDE_SELL, .px = 10100, .qty = 10, .list_id = 1}), 0);
    venue(w, id_of(w, 1), EXEC_TYPE_CANCELED, 0, 0);
    assert_true(told(w, 2, EXEC_TYPE_CANCELED));
    assert_false(alarmed(w, ALARM_LIST));
    venue(w, id_of(w, 1), EXEC_TYPE_TRADE, 10010, 2);
    assert_true(alarmed(w, ALARM_LIST));
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_list_oco_fill_cancels_the_other),
        T(test_list_oco_both_filled_is_an_alarm_and_booked),
        T(test_list_oco_refused_leg_is_an_alarm_and_the_stop_stays),
        T(test_list_oco_waits_while_the_other_is_unknown),
        T(test_list_bracket_frees_as_much_as_was_filled),
        T(test_list_oto_first_that_fails_takes_its_children),
        T(test_list_ouo_makes_the_others_smaller),
        T(test_list_ouo_in_proportion),
        T(test_list_denied_whole_while_its_first_has_not_left),
        T(test_list_is_denied_by_its_own_orders_only),
        T(test_list_with_a_denied_child_is_told_when_its_first_has_left),
        T(test_list_child_cut_short_grows_on_a_late_fill),
        T(test_list_child_that_ended_cut_short_cannot_grow_and_that_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
