/* delay: six lines with latencies, constant and drawn, merged.
 *
 * Invariants   what went in comes out, once, whole, not before it is due, in order of (due, entry); nothing overtakes on its
 *              leg, no fill its ack; a full leg refuses and loses nothing; a bad cfg is refused with a sentence. The oracle is
 *              an array searched for its minimum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/match/delay.h"

static const delay_cfg_t cfg_plain = {.latency_ns = {1000, 300, 300, 500, 500, 700}, .depth = {4, 4, 4, 4, 4, 4}};

static order_req_t req_make(order_action_t action, uint64_t id)
{
    return (order_req_t){.cl_ord_id = id, .action = (uint8_t)action};
}

static void test_delay_refuses_bad_cfg(void **state)
{
    (void)state;
    delay_cfg_t cfg[]    = {cfg_plain, cfg_plain, cfg_plain, cfg_plain};
    cfg[0].latency_ns[0] = -1;
    cfg[1].latency_ns[4] = DELAY_LATENCY_MAX_NS + 1;
    cfg[2].depth[2]      = 0;
    cfg[3].depth[5]      = DELAY_DEPTH_MAX + 1;
    const char *says[]   = {"place latency is -1", "fill latency", "cancel depth is 0", "feed depth"};
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
        assert_int_equal(msg.leg == DELAY_ACK ? msg.report.cl_ord_id : msg.req.cl_ord_id, order[id - 1]);
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

static uint64_t msg_id(const delay_msg_t *msg)
{
    return msg->leg == DELAY_FEED                            ? ((const trade_t *)msg->feed.body)->trade_id
           : msg->leg == DELAY_ACK || msg->leg == DELAY_FILL ? msg->report.cl_ord_id
                                                             : msg->req.cl_ord_id;
}

static err_t push(delay_t *delay, int64_t now, unsigned leg, uint64_t id)
{
    static const order_action_t actions[] = {ORDER_ACTION_NEW, ORDER_ACTION_REPLACE, ORDER_ACTION_CANCEL};
    if (leg == DELAY_FEED) {
        const trade_t trade = {.trade_id = id};
        return delay_push_feed(delay, now, &(msg_t){.type = MSG_TRADE, .body = &trade});
    }
    if (leg >= DELAY_ACK) {
        const exec_report_t rep = {.cl_ord_id = id,
                                   .exec_type = leg == DELAY_FILL ? EXEC_TYPE_TRADE : EXEC_TYPE_CANCELED};
        return delay_push_report(delay, now, &rep);
    }
    const order_req_t req = req_make(actions[leg], id);
    return delay_push_req(delay, now, &req);
}

/* A slow message holds up those behind it; a fill waits for the ack before it, though its own leg is faster. */
static void test_delay_nothing_overtakes_on_its_connection(void **state)
{
    (void)state;
    latency_t *drawn = malloc(sizeof *drawn);
    assert_int_equal(latency_build(drawn, (latency_bucket_t[]){{10, 1}, {1000, 1}}, 2, LATENCY_SCALE_ONE), ERR_OK);
    delay_cfg_t cfg        = {.latency_ns = {0, 0, 0, 900, 100, 0}, .depth = {64, 1, 1, 4, 4, 0}, .seed = 3};
    cfg.drawn[DELAY_PLACE] = drawn;
    delay_t    *delay      = delay_new(malloc(delay_footprint(&cfg)), &cfg);
    delay_msg_t msg;
    int64_t     last = 0;
    unsigned    held = 0;
    assert_int_equal(delay_slowest_ns(delay, DELAY_PLACE), 1000);
    assert_int_equal(delay_slowest_ns(delay, DELAY_FILL), 100);
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(push(delay, i, DELAY_PLACE, i + 1), ERR_OK);
    }
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(delay_pop(delay, INT64_MAX, &msg), ERR_OK);
        assert_int_equal(msg.req.cl_ord_id, i + 1);
        assert_true(msg.due_ns >= last);
        held += msg.due_ns != i + 10 && msg.due_ns != i + 1000; /* as late as the slow one before it */
        last = msg.due_ns;
    }
    assert_true(held > 10);
    assert_int_equal(push(delay, 2000, DELAY_ACK, 1), ERR_OK);
    assert_int_equal(push(delay, 2001, DELAY_FILL, 2), ERR_OK);
    assert_int_equal(delay_pop(delay, 2899, &msg), ERR_EMPTY);
    assert_int_equal(delay_pop(delay, 2900, &msg), ERR_OK);
    assert_int_equal(msg.leg, DELAY_ACK);
    assert_int_equal(delay_pop(delay, 2900, &msg), ERR_OK);
    assert_int_equal(msg.leg, DELAY_FILL);
    free(delay);
    free(drawn);
}

/* Market messages come out as they went in, tails too, while others are on their way. */
static void test_delay_feed_is_whole(void **state)
{
    (void)state;
    delay_t      *delay = delay_new(malloc(delay_footprint(&cfg_plain)), &cfg_plain);
    level_t       levels[BOOK_UPDATE_MAX_LEVELS];
    mbo_entry_t   entries[MBO_UPDATE_MAX_ENTRIES];
    book_update_t upd = {.instrument_id = 7, .bid_count = 60, .ask_count = 4};
    mbo_update_t  mbo = {.instrument_id = 8, .entry_count = MBO_UPDATE_MAX_ENTRIES};
    delay_msg_t   msg;
    for (unsigned i = 0; i < BOOK_UPDATE_MAX_LEVELS; i++) {
        levels[i] = (level_t){.px = i, .qty = 2 * i};
    }
    for (unsigned i = 0; i < MBO_UPDATE_MAX_ENTRIES; i++) {
        entries[i] = (mbo_entry_t){.order_id = i, .px = 3 * i};
    }
    const msg_t in[] = {{.type = MSG_BOOK_UPDATE, .tail_count = BOOK_UPDATE_MAX_LEVELS, .body = &upd, .tail = levels},
                        {.type = MSG_MBO_UPDATE, .tail_count = MBO_UPDATE_MAX_ENTRIES, .body = &mbo, .tail = entries}};
    for (unsigned round = 0; round < 5; round++) { /* past the end of the ring */
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(delay_push_feed(delay, round, &in[i]), ERR_OK);
        }
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(delay_pop(delay, round + 700, &msg), ERR_OK);
            assert_int_equal(msg.leg, DELAY_FEED);
            assert_int_equal(msg.feed.type, in[i].type);
            assert_int_equal(msg.feed.tail_count, in[i].tail_count);
            assert_memory_equal(msg.feed.body, in[i].body, msg_body_size(in[i].type));
            assert_memory_equal(msg.feed.tail, in[i].tail, 1024);
        }
    }
    const msg_t bad[] = {{.type = MSG_TICK, .body = &upd},
                         {.type = MSG_BOOK_UPDATE, .tail_count = 65, .body = &upd, .tail = levels}};
    assert_int_equal(delay_push_feed(delay, 10, &bad[0]), ERR_ARG);
    assert_int_equal(delay_push_feed(delay, 10, &bad[1]), ERR_ARG);
    assert_int_equal(delay_pop(delay, INT64_MAX, &msg), ERR_EMPTY);
    free(delay);
}

static void test_delay_equals_array(void **state)
{
    (void)state;
    const char *text = getenv("HWAL_SEED");
    uint64_t    rng  = text != NULL ? strtoull(text, NULL, 0) : 0xde1a7ULL;
    printf("seed %#llx (HWAL_SEED)\n", (unsigned long long)rng);
    const delay_cfg_t cfg   = {.latency_ns = {40, 30, 0, 25, 10, 35}, .depth = {5, 4, 3, 9, 4, 6}};
    delay_t          *delay = delay_new(malloc(delay_footprint(&cfg)), &cfg);
    struct {
        int64_t  due;
        uint64_t id;
        unsigned leg;
    } model[31];
    size_t   count = 0;
    uint64_t id    = 0;
    int64_t  now = 0, home = 0; /* due of the last report */
    unsigned refused = 0, held = 0;
    for (unsigned step = 0; step < 50000; step++) {
        rng                = rng * 6364136223846793005ULL + 1442695040888963407ULL;
        const unsigned leg = (unsigned)(rng >> 40) % DELAY_LEGS;
        now += (int64_t)(rng >> 50) % 6;
        if ((rng >> 33) % 2 == 0) {
            size_t in_leg = 0;
            for (size_t i = 0; i < count; i++) {
                in_leg += model[i].leg == leg;
            }
            const err_t err = push(delay, now, leg, id + 1);
            assert_int_equal(err, in_leg == cfg.depth[leg] ? ERR_FULL : ERR_OK);
            refused += err == ERR_FULL;
            if (err == ERR_OK) {
                int64_t due = now + cfg.latency_ns[leg];
                if (leg == DELAY_ACK || leg == DELAY_FILL) {
                    held += due < home;
                    due = home = due < home ? home : due;
                }
                model[count].due  = due;
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
            assert_int_equal(msg_id(&msg), model[first].id);
            memmove(&model[first], &model[first + 1], (count - first - 1) * sizeof model[0]);
            count--;
        }
    }
    printf("  %llu messages, %u refused, %u fills waited for an ack\n", (unsigned long long)id, refused, held);
    assert_true(id > 5000 && refused > 100 && held > 100);
    free(delay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delay_refuses_bad_cfg),
        cmocka_unit_test(test_delay_cancel_overtakes_its_order),
        cmocka_unit_test(test_delay_same_time_keeps_order_of_entry),
        cmocka_unit_test(test_delay_full_refuses_and_keeps),
        cmocka_unit_test(test_delay_nothing_overtakes_on_its_connection),
        cmocka_unit_test(test_delay_feed_is_whole),
        cmocka_unit_test(test_delay_equals_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
