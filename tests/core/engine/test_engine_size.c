/* The question how large an order may be: by the method from the account's equity, and what risk lets pass of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/risk/size.h"
#include "tests/lib/engine_world.h"

#define BOOK (BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST)

static size_resp_t ask(const world_t *w, size_req_t req)
{
    const now_t now = {.mono_ns = w->now, .utc_ns = w->now + w->utc_ahead};
    size_resp_t out;
    req.account_id    = req.account_id ? req.account_id : 1;
    req.instrument_id = req.instrument_id ? req.instrument_id : 1;
    req.side          = req.side ? req.side : SIDE_BUY;
    req.corr_hi       = 11;
    req.corr_lo       = 12;
    engine_size(w->engine, now, 1, &req, &out);
    assert_int_equal(out.corr_hi, 11);
    assert_int_equal(out.corr_lo, 12);
    assert_int_equal(out.portfolio_version, engine_seq(w->engine));
    return out;
}

static void open_world(world_t *w)
{
    world_open(w, 1, 1);
    world_book(w, BOOK, 9990, 10010);
    const lane_t lane = world_lane(w, 1, LANE_OPEN, LANE_KEEP);
    assert_int_equal(world_apply_body(w, MSG_LANE, &lane), ERR_OK);
}

/* Equity 100,000,000.00 in cents, X in whole units: 1 bp on 100 of loss each = 100. */
static void test_engine_size_by_hand(void **state)
{
    (void)state;
    world_t w;
    open_world(&w);
    const uint64_t before = engine_state_hash(w.engine);
    size_resp_t    r      = ask(&w, (size_req_t){.method = SIZE_FIXED_RISK, .arg1 = 1, .stop_px = 9900});
    assert_int_equal(r.px, 10000); /* the middle */
    assert_int_equal(r.equity, 10000000000);
    assert_int_equal(r.wanted_qty, 100);
    r = ask(&w, (size_req_t){.method = SIZE_KELLY, .arg1 = 600000, .arg2 = 1000000, .arg3 = 5000, .px = 9950});
    assert_int_equal(r.px, 9950);
    assert_int_equal(r.wanted_qty, 1005); /* 10 % = 10,000,000.00 */
    r = ask(&w, (size_req_t){.method = SIZE_VOL_TARGET, .arg1 = 1000, .arg2 = 4000, .max_weight_bp = 1000});
    assert_int_equal(r.wanted_qty, 1000);
    r = ask(&w, (size_req_t){.method = SIZE_TARGET_WEIGHT, .arg1 = -500});
    assert_int_equal(r.wanted_qty, 500);
    assert_int_equal(r.side, SIDE_SELL);
    assert_int_equal(engine_state_hash(w.engine), before); /* it is no input */
    world_close(&w);
}

/* What is wanted is what risk_check would judge: the answer's quantity passes, and where it is less the code says why. */
static void test_engine_size_agrees_with_risk(void **state)
{
    (void)state;
    world_t       w;
    risk_limits_t limits;
    open_world(&w);
    size_resp_t r = ask(&w, (size_req_t){.method = SIZE_FIXED_RISK, .arg1 = 10, .stop_px = 9900});
    assert_int_equal(r.code, RISK_ACCEPTED);
    assert_int_equal(r.qty, r.wanted_qty);
    assert_int_equal(r.value, 10000 * 100 * r.qty);
    risk_limits_default(SCOPE_ACCOUNT_INSTRUMENT, &limits);
    limits.max_qty  = 4;
    limits.max_long = limits.max_short = 1000;
    world_limits(&w, SCOPE_ACCOUNT_INSTRUMENT, 1, 1, &limits);
    r = ask(&w, (size_req_t){.method = SIZE_FIXED_RISK, .arg1 = 10, .stop_px = 9900});
    assert_int_equal(r.code, RISK_MAX_ORDER_QTY);
    assert_int_equal(r.wanted_qty, 1000);
    assert_int_equal(r.qty, 4);
    assert_int_equal(r.value, 10000 * 100 * 4);
    world_close(&w);
}

static void test_engine_size_refuses(void **state)
{
    (void)state;
    world_t w;
    open_world(&w);
    assert_int_equal(ask(&w, (size_req_t){.method = SIZE_NONE}).code, RISK_BAD_MESSAGE);
    assert_int_equal(ask(&w, (size_req_t){.method = SIZE_METHOD_COUNT}).code, RISK_BAD_MESSAGE);
    assert_int_equal(ask(&w, (size_req_t){.method = SIZE_FIXED_RISK, .arg1 = 1, .stop_px = 9900, .side = 3}).code,
                     RISK_BAD_MESSAGE);
    assert_int_equal(ask(&w, (size_req_t){.method = SIZE_FIXED_RISK, .arg1 = 0, .stop_px = 9900}).code,
                     RISK_BAD_MESSAGE);
    assert_int_equal(
        ask(&w, (size_req_t){.method = SIZE_FIXED_RISK, .arg1 = 1, .stop_px = 9900, .instrument_id = 9}).code,
        RISK_UNKNOWN_INSTRUMENT);
    assert_int_equal(ask(&w, (size_req_t){.method = SIZE_FIXED_RISK, .arg1 = 1, .stop_px = 9900, .account_id = 9}).code,
                     RISK_NOT_AUTHORISED);
    feed_state_t broken = {.instrument_id = 1, .health = FEED_BROKEN, .reason = FEED_REASON_GAP};
    assert_int_equal(world_apply_body(&w, MSG_FEED_STATE, &broken), ERR_OK);
    assert_int_equal(ask(&w, (size_req_t){.method = SIZE_FIXED_RISK, .arg1 = 1, .stop_px = 9900}).code,
                     RISK_NO_REFERENCE_PRICE);
    const lane_t lane = world_lane(&w, 1, LANE_CLOSED, LANE_KEEP);
    assert_int_equal(world_apply_body(&w, MSG_LANE, &lane), ERR_OK);
    size_resp_t r = ask(&w, (size_req_t){.method = SIZE_FIXED_RISK, .arg1 = 1, .stop_px = 9900, .px = 10000});
    assert_int_equal(r.code, RISK_STRATEGY_NOT_APPROVED);
    assert_int_equal(r.equity, 0); /* and nothing of the account is told */
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine_size_by_hand),
        cmocka_unit_test(test_engine_size_agrees_with_risk),
        cmocka_unit_test(test_engine_size_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
