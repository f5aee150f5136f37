/* Alerts: alarms of one kind are one line until a person has acknowledged it; what is dropped when there is no room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/engine_world.h"

#define BOOK (BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST)

/* A fill of an order that is nobody's: an alarm of its own kind for each account. */
static void strange_fill(world_t *w, uint32_t account, int64_t qty)
{
    exec_report_t report = world_fill(w, 1000, SIDE_BUY, 10000, qty);
    report.account_id    = account;
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &report), ERR_OK);
}

static bool find(const world_t *w, uint16_t kind, uint32_t account, alert_t *out)
{
    alert_t a;
    bool    found = false;
    for (uint32_t i = 0; engine_alert_record(w->engine, i, &a); i++) {
        if (a.kind == kind && a.account_id == account && (!found || a.alert_id > out->alert_id)) {
            *out  = a;
            found = true;
        }
    }
    return found;
}

static lane_t operator_lane(world_t *w)
{
    lane_t lane = world_lane(w, 2, LANE_OPEN, LANE_KEEP);
    lane.rights = LANE_RIGHT_OPERATE;
    lane.uid    = 4711;
    assert_int_equal(world_apply_body(w, MSG_LANE, &lane), ERR_OK);
    return lane;
}

static err_t ack(world_t *w, uint64_t target, uint32_t user)
{
    const operate_t op = {.kind       = CONTROL_ALERT_ACK,
                          .scope_type = SCOPE_GLOBAL,
                          .target     = target,
                          .value      = 1,
                          .user_id    = user,
                          .lane_id    = 2};
    return world_apply(w, &(msg_t){.type = MSG_OPERATE, .body = &op, .text = "seen"});
}

static void test_alert_is_counted_until_acknowledged(void **state)
{
    (void)state;
    world_t w;
    alert_t first = {0}, again = {0}, other = {0};
    world_open(&w, 1, 2);
    world_book(&w, BOOK, 9990, 10010);
    operator_lane(&w);
    strange_fill(&w, 1, 5);
    assert_int_equal(world_out_count(&w, MSG_ALERT), world_out_count(&w, MSG_ALARM));
    assert_true(find(&w, ALARM_UNKNOWN_ORDER_FILL, 1, &first));
    assert_int_equal(first.count, 1);
    assert_int_equal(first.observed, 5);
    assert_int_equal(first.state, ALERT_OPEN);
    assert_int_equal(first.severity, ALERT_CRITICAL);
    strange_fill(&w, 1, 7);
    assert_null(world_out_first(&w, MSG_ALERT)); /* known already: counted */
    assert_true(find(&w, ALARM_UNKNOWN_ORDER_FILL, 1, &again));
    assert_int_equal(again.alert_id, first.alert_id);
    assert_int_equal(again.count, 2);
    assert_int_equal(again.observed, 7);
    assert_int_equal(again.first_utc_ns, first.first_utc_ns);
    strange_fill(&w, 2, 1); /* of another account: another alert */
    assert_true(find(&w, ALARM_UNKNOWN_ORDER_FILL, 2, &other));
    assert_true(other.alert_id > first.alert_id);

    assert_int_equal(ack(&w, first.alert_id, 4711), ERR_OK);
    const alert_t *told = world_out_first(&w, MSG_ALERT);
    const audit_t *who  = world_out_first(&w, MSG_AUDIT);
    assert_non_null(told);
    assert_non_null(who);
    assert_int_equal(told->state, ALERT_ACKED);
    assert_int_equal(told->user_id, 4711);
    assert_int_equal(who->kind, AUDIT_ALERT);
    assert_int_equal(who->change_id, first.alert_id);
    assert_int_equal(who->user_id, 4711);
    assert_int_equal(who->event_seq, engine_seq(w.engine));
    assert_true(find(&w, ALARM_UNKNOWN_ORDER_FILL, 2, &other));
    assert_int_equal(other.state, ALERT_OPEN);
    assert_int_not_equal(ack(&w, first.alert_id, 4711), ERR_OK); /* it is open no more */
    assert_int_not_equal(ack(&w, 1u << 30, 4711), ERR_OK);

    strange_fill(&w, 1, 3); /* news after the acknowledgement */
    assert_true(find(&w, ALARM_UNKNOWN_ORDER_FILL, 1, &again));
    assert_true(again.alert_id > other.alert_id);
    assert_int_equal(again.count, 1);
    assert_int_equal(ack(&w, 0, 4711), ERR_OK); /* all */
    for (uint32_t i = 0; engine_alert_record(w.engine, i, &other); i++) {
        assert_int_equal(other.state, ALERT_ACKED);
    }
    assert_int_equal(ack(&w, 0, 4711), ERR_OK); /* none is open: nothing to do, and no fault */
    assert_null(world_out_first(&w, MSG_ALERT));
    world_close(&w);
}

static void test_alert_needs_the_right(void **state)
{
    (void)state;
    world_t w;
    alert_t a;
    world_open(&w, 1, 1);
    world_book(&w, BOOK, 9990, 10010);
    strange_fill(&w, 1, 5);
    lane_t lane = world_lane(&w, 2, LANE_OPEN, LANE_KEEP);
    assert_int_equal(world_apply_body(&w, MSG_LANE, &lane), ERR_OK);
    ack(&w, 0, 4711);
    const audit_t *said = world_out_first(&w, MSG_AUDIT);
    assert_non_null(said);
    assert_int_equal(said->kind, AUDIT_REFUSED);
    assert_true(find(&w, ALARM_UNKNOWN_ORDER_FILL, 1, &a));
    assert_int_equal(a.state, ALERT_OPEN);
    world_close(&w);
}

/* 256 are kept; what was acknowledged goes first, then what is less grave, then what is older; an open one that went is
 * counted. */
static void test_alert_room(void **state)
{
    (void)state;
    world_t  w;
    alert_t  a;
    uint32_t n = 0;
    world_open(&w, 1, ENGINE_ALERTS_MAX + 8);
    world_book(&w, BOOK, 9990, 10010);
    operator_lane(&w);
    for (uint32_t account = 1; !engine_alert_record(w.engine, ENGINE_ALERTS_MAX - 1, &a); account++) {
        strange_fill(&w, account, 1);
        n = account;
    }
    assert_int_equal(engine_alerts_lost(w.engine), 0);
    assert_true(find(&w, ALARM_UNKNOWN_ORDER_FILL, 5, &a));
    const uint64_t acked = a.alert_id;
    assert_int_equal(ack(&w, acked, 1), ERR_OK);
    strange_fill(&w, n + 1, 1); /* takes the place of the acknowledged one */
    assert_int_equal(engine_alerts_lost(w.engine), 0);
    assert_false(find(&w, ALARM_UNKNOWN_ORDER_FILL, 5, &a));
    strange_fill(&w, n + 2, 1); /* and now of the oldest */
    assert_int_equal(engine_alerts_lost(w.engine), 1);
    assert_true(find(&w, ALARM_UNKNOWN_ORDER_FILL, n + 2, &a));
    world_t copy;
    world_copy(&copy, &w);
    assert_int_equal(engine_state_hash(copy.engine), engine_state_hash(w.engine));
    world_close(&copy);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alert_is_counted_until_acknowledged),
        cmocka_unit_test(test_alert_needs_the_right),
        cmocka_unit_test(test_alert_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
