/* Money through the engine: what inputs do to balances, and what is told of it.
 *   1. A movement and a fee are booked once; what cannot be booked is told, and changes nothing.
 *   2. Open orders hold cash, whatever becomes of them gives it back.
 *   3. A currency without a rate is told once and in no sum; with one it is, and the tenant is the sum.
 *   4. A bust, also after the day has rolled, and a correction leave the money as if the fill had been so.
 *   5. The parts of strategies sum to the position. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/engine_world.h"

static balance_t balance(const world_t *w, uint32_t row)
{
    balance_t out = {0};
    assert_true(engine_balance_record(w->engine, row, &out));
    assert_int_equal(out.initial + out.realised + out.unrealised - out.fees + out.funding, out.equity);
    return out;
}

static cash_move_t move_of(const char *ccy, int64_t amount, uint64_t ref)
{
    return (cash_move_t){
        .ref_lo = ref, .ccy = ccy_pack(ccy), .amount = amount, .account_id = 1, .money_exp = 2, .kind = CASH_DEPOSIT};
}

#define WHOLE BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST

static void test_movements_and_fees_once(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, 1, 2);
    const int64_t     cash = balance(&w, 0).cash;
    const cash_move_t m    = move_of("USD", 5000, 1);
    assert_int_equal(world_apply_body(&w, MSG_CASH_MOVE, &m), ERR_OK);
    assert_int_equal(world_apply_body(&w, MSG_CASH_MOVE, &m), ERR_OK);
    assert_int_equal(balance(&w, 0).cash, cash + 5000);
    cash_move_t bad = move_of("USD", INT64_MAX, 2);
    assert_int_equal(world_apply_body(&w, MSG_CASH_MOVE, &bad), ERR_RANGE);
    const alarm_t *alarm = world_out_first(&w, MSG_ALARM);
    assert_non_null(alarm);
    assert_int_equal(alarm->kind, ALARM_CASH);
    misc_fee_t fee = {.exec_id_lo    = 7,
                      .ccy           = ccy_pack("USD"),
                      .amount        = 30,
                      .account_id    = 1,
                      .instrument_id = 1,
                      .money_exp     = 2,
                      .kind          = FEE_TAX};
    assert_int_equal(world_apply_body(&w, MSG_MISC_FEE, &fee), ERR_OK);
    assert_int_equal(world_out_count(&w, MSG_POSITION), 1);
    assert_int_equal(world_apply_body(&w, MSG_MISC_FEE, &fee), ERR_OK);
    assert_int_equal(world_out_count(&w, MSG_POSITION), 0);
    assert_int_equal(balance(&w, 0).fees, 30);
    fee.kind = FEE_NONE;
    assert_int_equal(world_apply_body(&w, MSG_MISC_FEE, &fee), ERR_ARG);
    assert_int_equal(world_out_count(&w, MSG_ALARM), 1);
    const fee_schedule_t tier = {.schedule_id = 1, .tiers = 1};
    assert_int_equal(world_apply_body(&w, MSG_FEE_SCHEDULE, &tier), ERR_OK);
    assert_false(engine_balance_record(w.engine, 1, &(balance_t){0}));
    assert_false(engine_balance_record(w.engine, engine_balance_rows(w.engine), &(balance_t){0}));
    world_close(&w);
}

static void test_orders_hold_cash(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, 1, 1);
    world_book(&w, WHOLE, 100, 102);
    assert_int_equal(world_order(&w, (order_req_t){.side = SIDE_BUY, .px = 99, .qty = 10}), 0);
    const uint64_t first = w.id;
    assert_int_equal(balance(&w, 0).hold, 99000);
    assert_int_equal(balance(&w, 0).available,
                     balance(&w, 0).equity - 101000); /* on margin: 10 at the mid, all of it */
    exec_report_t fill = world_fill(&w, first, SIDE_BUY, 99, 4);
    assert_int_equal(world_apply_body(&w, MSG_EXEC_REPORT, &fill), ERR_OK);
    assert_int_equal(balance(&w, 0).hold, 59400);
    exec_report_t off = world_report(&w, first, EXEC_TYPE_CANCELED);
    assert_int_equal(world_apply_body(&w, MSG_EXEC_REPORT, &off), ERR_OK);
    assert_int_equal(balance(&w, 0).hold, 0);
    assert_int_equal(world_order(&w, (order_req_t){.side = SIDE_SELL, .px = 103, .qty = 4}), 0);
    assert_int_equal(balance(&w, 0).hold, 0); /* a sale takes no cash */
    world_close(&w);
}

static void test_rates_and_the_tenant(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, 1, 2);
    const int64_t     usd = balance(&w, 0).cash;
    const cash_move_t m   = move_of("EUR", 1000, 1);
    assert_int_equal(world_apply_body(&w, MSG_CASH_MOVE, &m), ERR_OK);
    const alarm_t *alarm = world_out_first(&w, MSG_ALARM);
    assert_non_null(alarm);
    assert_int_equal(alarm->kind, ALARM_FX);
    account_record_t a;
    assert_true(engine_account_record(w.engine, 1, &a));
    assert_int_equal(a.equity, usd);
    assert_int_equal(balance(&w, 1).fx_rate, 0);
    const fx_rate_t fx = {.ccy = ccy_pack("EUR"), .to_ccy = ccy_pack("USD"), .rate = 11, .rate_exp = 1};
    assert_int_equal(world_apply_body(&w, MSG_FX_RATE, &fx), ERR_OK);
    assert_int_equal(world_out_count(&w, MSG_ALARM), 0);
    assert_true(engine_account_record(w.engine, 1, &a));
    assert_int_equal(a.equity, usd + 1100);
    assert_int_equal(balance(&w, 1).fx_rate, 11);
    assert_int_equal(balance(&w, 1).fx_utc_ns, w.now + w.utc_ahead); /* told now */
    const balance_t tenant = balance(&w, engine_balance_rows(w.engine) - 1);
    assert_int_equal(tenant.account_id, 0);
    assert_int_equal(tenant.equity, 2 * usd + 1100);
    fx_rate_t follow = {.ccy = ccy_pack("GBP"), .to_ccy = ccy_pack("USD"), .source = 1};
    assert_int_equal(world_apply_body(&w, MSG_FX_RATE, &follow), ERR_OK);
    cash_move_t more = move_of("GBP", 1000, 2);
    assert_int_equal(world_apply_body(&w, MSG_CASH_MOVE, &more), ERR_OK);
    assert_int_equal(world_out_count(&w, MSG_ALARM), 1);
    world_book(&w, WHOLE, 100, 102);
    assert_int_equal(balance(&w, 2).fx_rate, 101);
    assert_true(engine_account_record(w.engine, 1, &a));
    assert_int_equal(a.equity, usd + 1100 + 101000);
    follow.rate = 1;
    assert_int_equal(world_apply_body(&w, MSG_FX_RATE, &follow), ERR_STATE);
    world_close(&w);
}

static void test_busts_and_corrections(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, 1, 1);
    world_book(&w, WHOLE, 100, 102);
    const balance_t before = balance(&w, 0);
    assert_int_equal(world_order(&w, (order_req_t){.side = SIDE_BUY, .px = 101, .qty = 10}), 0);
    const uint64_t order = w.id;
    exec_report_t  fill  = world_fill(&w, order, SIDE_BUY, 101, 6);
    fill.fee             = 12;
    assert_int_equal(world_apply_body(&w, MSG_EXEC_REPORT, &fill), ERR_OK);
    assert_int_equal(balance(&w, 0).cash, before.cash - 60600 - 12);
    uint32_t parts = 0;
    int64_t  qty   = 0;
    for (uint32_t row = 0; row < engine_sub_position_rows(w.engine); row++) {
        sub_position_t sub;
        if (engine_sub_position_record(w.engine, row, &sub)) {
            assert_int_equal(sub.strategy_id, 1);
            qty += sub.qty;
            parts++;
        }
    }
    assert_int_equal(parts, 1);
    assert_int_equal(qty, 6);
    exec_report_t correct = fill;
    correct.exec_type     = EXEC_TYPE_TRADE_CORRECT;
    correct.last_qty      = 5;
    correct.last_px       = 100;
    correct.cum_qty       = -1;
    correct.leaves_qty    = -1;
    assert_int_equal(world_apply_body(&w, MSG_EXEC_REPORT, &correct), ERR_OK);
    assert_int_equal(balance(&w, 0).cash, before.cash - 50000 - 12);
    position_t pos;
    assert_true(engine_position_record(w.engine, 1, 1, &pos));
    assert_int_equal(pos.qty, 5);
    world_tick(&w, NS_PER_DAY); /* tomorrow */
    exec_report_t bust = correct;
    bust.exec_type     = EXEC_TYPE_TRADE_CANCEL;
    assert_int_equal(world_apply_body(&w, MSG_EXEC_REPORT, &bust), ERR_OK);
    const balance_t after = balance(&w, 0);
    assert_int_equal(after.cash, before.cash);
    assert_int_equal(after.fees, before.fees);
    assert_int_equal(after.equity, before.equity);
    assert_true(engine_position_record(w.engine, 1, 1, &pos));
    assert_int_equal(pos.qty, 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_movements_and_fees_once),
        cmocka_unit_test(test_orders_hold_cash),
        cmocka_unit_test(test_rates_and_the_tenant),
        cmocka_unit_test(test_busts_and_corrections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
