/* delay: constant-latency lines, merged.
 *
 * Invariants   what went in comes out, once, whole, not before it is due, in order of (due, entry); a full leg refuses
 *              and loses nothing; a bad cfg is refused with a sentence. The oracle is an array searched for its
 * minimum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/match/delay.h"

static const delay_cfg_t cfg_plain = {.latency_ns = {1000, 300, 500}, .depth = {4, 4, 4}};

static order_req_t req_make(order_action_t action, uint64_t id)
{
    return (order_req_t){.cl_ord_id = id, .action = (uint8_t)action};
}

static void test_delay_refuses_bad_cfg(void **state)
{
    (void)state;
    delay_cfg_t cfg[]    = {cfg_plain, cfg_plain, cfg_plain, cfg_plain};
    cfg[0].latency_ns[0] = -1;
    cfg[1].latency_ns[2] = DELAY_LATENCY_MAX_NS + 1;
    cfg[2].depth[1]      = 0;
    cfg[3].depth[1]      = DELAY_DEPTH_MAX + 1;
    const char *says[]   = {"place latency is -1", "report latency", "cancel depth is 0", "cancel depth"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(delay_footprint(&cfg[i]), 0);
        assert_non_null(strstr(err_msg(), says[i]));
        assert_null(delay_new(NULL, &cfg[i]));
    }
}

static void test_delay_cancel_overtakes_its_order(void **state)
{
    (void)state;
    delay_t *delay        = delay_new(malloc(delay_footprint(&cfg_plain)), &cfg_plain);
    const order_req_t new = req_make(ORDER_ACTION_NEW, 1);
    const order_req_t cxl = req_make(ORDER_ACTION_CANCEL, 2);
    delay_msg_t       msg;
    assert_int_equal(delay_due_ns(delay), INT64_MAX);
    assert_int_equal(delay_pop(delay, INT64_MAX, &msg), ERR_EMPTY);
    assert_int_equal(delay_push_req(delay, 0, &new), ERR_OK);
    assert_int_equal(delay_push_req(delay, 100, &cxl), ERR_OK);
    assert_int_equal(delay_due_ns(delay), 400);
    assert_int_equal(delay_pop(delay, 399, &msg), ERR_EMPTY);
    assert_int_equal(delay_pop(delay, 400, &msg), ERR_OK);
    assert_int_equal(msg.leg, DELAY_CANCEL);
    assert_int_equal(msg.req.cl_ord_id, 2);
    assert_int_equal(delay_pop(delay, 999, &msg), ERR_EMPTY);
    assert_int_equal(delay_pop(delay, 1000, &msg), ERR_OK);
    assert_int_equal(msg.req.cl_ord_id, 1);
    free(delay);
}

static void test_delay_same_time_keeps_order_of_entry(void **state)
{
    (void)state;
    delay_t *delay          = delay_new(malloc(delay_footprint(&cfg_plain)), &cfg_plain);
    const order_req_t new   = req_make(ORDER_ACTION_NEW, 1);
    const order_req_t   cxl = req_make(ORDER_ACTION_REPLACE, 2);
    const exec_report_t rep = {.cl_ord_id = 3};
    delay_msg_t         msg;
    assert_int_equal(delay_push_req(delay, 0, &new), ERR_OK);
    assert_int_equal(delay_push_report(delay, 500, &rep), ERR_OK);
    assert_int_equal(delay_push_req(delay, 700, &cxl), ERR_OK);
    for (uint64_t id = 1; id <= 3; id++) {
        static const uint64_t order[] = {1, 3, 2};
        assert_int_equal(delay_pop(delay, 1000, &msg), ERR_OK);
        assert_int_equal(msg.leg == DELAY_REPORT ? msg.report.cl_ord_id : msg.req.cl_ord_id, order[id - 1]);
    }
    free(delay);
}

static void test_delay_full_refuses_and_keeps(void **state)
{
    (void)state;
    delay_t    *delay = delay_new(malloc(delay_footprint(&cfg_plain)), &cfg_plain);
    delay_msg_t msg;
    order_req_t req = req_make(ORDER_ACTION_NEW, 0);
    for (req.cl_ord_id = 1; req.cl_ord_id <= 4; req.cl_ord_id++) {
        assert_int_equal(delay_push_req(delay, 10, &req), ERR_OK);
    }
    assert_int_equal(delay_room(delay, DELAY_PLACE), 0);
    assert_int_equal(delay_room(delay, DELAY_CANCEL), 4);
    assert_int_equal(delay_push_req(delay, 10, &req), ERR_FULL);
    req.action = ORDER_ACTION_NONE;
    assert_int_equal(delay_push_req(delay, 10, &req), ERR_ARG);
    req.action = ORDER_ACTION_NEW;
    assert_int_equal(delay_push_req(delay, 9, &req), ERR_STATE);
    for (uint64_t id = 1; id <= 4; id++) {
        assert_int_equal(delay_pop(delay, 1010, &msg), ERR_OK);
        assert_int_equal(msg.req.cl_ord_id, id);
    }
    assert_int_equal(delay_push_req(delay, INT64_MAX - 10, &req), ERR_RANGE);
    assert_int_equal(delay_pop(delay, INT64_MAX, &msg), ERR_EMPTY);
    free(delay);
}

static void test_delay_equals_array(void **state)
{
    (void)state;
    const char *text = getenv("HWAL_SEED");
    uint64_t    rng  = text != NULL ? strtoull(text, NULL, 0) : 0xde1a7ULL;
    printf("seed %#llx (HWAL_SEED)\n", (unsigned long long)rng);
    const delay_cfg_t cfg   = {.latency_ns = {40, 0, 25}, .depth = {5, 3, 9}};
    delay_t          *delay = delay_new(malloc(delay_footprint(&cfg)), &cfg);
    struct {
        int64_t  due;
        uint64_t id;
        unsigned leg;
    } model[17];
    size_t   count   = 0;
    uint64_t id      = 0;
    int64_t  now     = 0;
    unsigned refused = 0;
    for (unsigned step = 0; step < 50000; step++) {
        rng                = rng * 6364136223846793005ULL + 1442695040888963407ULL;
        const unsigned leg = (unsigned)(rng >> 40) % 3;
        now += (int64_t)(rng >> 50) % 6;
        if ((rng >> 33) % 2 == 0) {
            size_t in_leg = 0;
            for (size_t i = 0; i < count; i++) {
                in_leg += model[i].leg == leg;
            }
            const order_req_t   req = req_make(leg == DELAY_PLACE ? ORDER_ACTION_NEW : ORDER_ACTION_CANCEL, id + 1);
            const exec_report_t rep = {.cl_ord_id = id + 1};
            const err_t         err =
                leg == DELAY_REPORT ? delay_push_report(delay, now, &rep) : delay_push_req(delay, now, &req);
            assert_int_equal(err, in_leg == cfg.depth[leg] ? ERR_FULL : ERR_OK);
            refused += err == ERR_FULL;
            if (err == ERR_OK) {
                model[count].due  = now + cfg.latency_ns[leg];
                model[count].leg  = leg;
                model[count++].id = ++id;
            }
            continue;
        }
        size_t first = 0; /* ids rise with entry, and the array stays in order of entry */
        for (size_t i = 1; i < count; i++) {
            first = model[i].due < model[first].due ? i : first;
        }
        delay_msg_t msg;
        const bool  due = count > 0 && model[first].due <= now;
        assert_int_equal(delay_due_ns(delay), count > 0 ? model[first].due : INT64_MAX);
        assert_int_equal(delay_pop(delay, now, &msg), due ? ERR_OK : ERR_EMPTY);
        if (due) {
            assert_int_equal(msg.leg, model[first].leg);
            assert_int_equal(msg.due_ns, model[first].due);
            assert_int_equal(msg.leg == DELAY_REPORT ? msg.report.cl_ord_id : msg.req.cl_ord_id, model[first].id);
            memmove(&model[first], &model[first + 1], (count - first - 1) * sizeof model[0]);
            count--;
        }
    }
    printf("  %llu messages, %u refused\n", (unsigned long long)id, refused);
    assert_true(id > 5000 && refused > 100);
    free(delay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delay_refuses_bad_cfg),
        cmocka_unit_test(test_delay_cancel_overtakes_its_order),
        cmocka_unit_test(test_delay_same_time_keeps_order_of_entry),
        cmocka_unit_test(test_delay_full_refuses_and_keeps),
        cmocka_unit_test(test_delay_equals_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
