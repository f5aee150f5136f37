/* What the engine tells risk of a market beside its best prices, seen through verdicts:
 *   1. 203 of the visible depth: what stands on the other side inside the collar, and no more.
 *   2. The close of the day before is a reference where use_prev_close allows it, and only then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/engine_world.h"

#define WHOLE BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST

static void change(world_t *w, uint64_t id, uint32_t field, int64_t value)
{
    limit_change_t c = {.change_id  = id,
                        .scope_type = SCOPE_INSTRUMENT,
                        .scope_id   = 1,
                        .step       = LIMIT_STEP_BEGIN,
                        .field      = (uint16_t)field,
                        .value      = value};
    assert_int_equal(world_apply_body(w, MSG_LIMIT_CHANGE, &c), ERR_OK);
    c.step = LIMIT_STEP_SET;
    assert_int_equal(world_apply_body(w, MSG_LIMIT_CHANGE, &c), ERR_OK);
    c.step = LIMIT_STEP_COMMIT;
    assert_int_equal(world_apply_body(w, MSG_LIMIT_CHANGE, &c), ERR_OK);
}

static void levels(world_t *w, const level_t *bids, uint16_t bid_count, const level_t *asks, uint16_t ask_count)
{
    level_t             all[8];
    const book_update_t upd = {.instrument_id = 1,
                               .rpt_seq       = ++w->rpt_seq,
                               .ts_event_ns   = w->now + w->utc_ahead - 1,
                               .ts_recv_ns    = w->now + w->utc_ahead,
                               .bid_count     = bid_count,
                               .ask_count     = ask_count,
                               .flags         = WHOLE};
    for (uint16_t i = 0; i < bid_count + ask_count; i++) {
        all[i] = i < bid_count ? bids[i] : asks[i - bid_count];
    }
    assert_int_equal(
        world_apply(w,
                    &(msg_t){.type = MSG_BOOK_UPDATE, .body = &upd, .tail = all, .tail_count = bid_count + ask_count}),
        ERR_OK);
}

static void test_depth_inside_the_collar(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, 1, 1);
    change(&w, 1, RISK_FIELD_depth_bp, 5000); /* half of what is there */
    /* mid 1000, collar 3 %: asks up to 1030 and bids down to 970 */
    levels(&w, (level_t[]){{999, 4}, {970, 6}, {969, 100}}, 3, (level_t[]){{1001, 10}, {1030, 20}, {1031, 100}}, 3);
    assert_int_equal(world_order(&w, (order_req_t){.side = SIDE_BUY, .px = 998, .qty = 16}), RISK_MAX_PARTICIPATION);
    const verdict_t *v = world_out_first(&w, MSG_VERDICT);
    assert_int_equal(v->observed, 16);
    assert_int_equal(v->limit, 15);
    assert_int_equal(world_order(&w, (order_req_t){.side = SIDE_BUY, .px = 998, .qty = 15}), 0);
    assert_int_equal(world_order(&w, (order_req_t){.side = SIDE_SELL, .px = 1002, .qty = 6}), RISK_MAX_PARTICIPATION);
    assert_int_equal(world_order(&w, (order_req_t){.side = SIDE_SELL, .px = 1002, .qty = 5}), 0);
    world_close(&w);
}

static void trade(world_t *w, int64_t px)
{
    const trade_t t = {.instrument_id = 1,
                       .trade_id      = (uint64_t)px,
                       .px            = px,
                       .qty           = 1000,
                       .ts_event_ns   = w->now + w->utc_ahead,
                       .ts_recv_ns    = w->now + w->utc_ahead};
    assert_int_equal(world_apply_body(w, MSG_TRADE, &t), ERR_OK);
}

static void test_previous_close(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, 1, 1);
    levels(&w, (level_t[]){{999, 4}}, 1, (level_t[]){{1001, 10}}, 1);
    trade(&w, 1000);
    world_tick(&w, NS_PER_DAY); /* tomorrow: nothing is fresh */
    levels(&w, (level_t[]){{999, 4}}, 1, NULL, 0);
    assert_int_equal(world_order(&w, (order_req_t){.side = SIDE_BUY, .px = 1000, .qty = 1}), RISK_STALE_MARKET_DATA);
    change(&w, 1, RISK_FIELD_use_prev_close, 1);
    assert_int_equal(world_order(&w, (order_req_t){.side = SIDE_BUY, .px = 1031, .qty = 1}), RISK_COLLAR_BUY);
    const verdict_t *v = world_out_first(&w, MSG_VERDICT);
    assert_int_equal(v->limit, 1030);
    assert_int_equal(world_order(&w, (order_req_t){.side = SIDE_BUY, .px = 1000, .qty = 1}), 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depth_inside_the_collar),
        cmocka_unit_test(test_previous_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
