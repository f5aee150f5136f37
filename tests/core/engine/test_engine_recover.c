/* Lives of an engine: BOOT, set-up by records, reconciliation with venues, questions, the age of market data.
 *
 * Checked   an engine goes on from a snapshot, or is made anew from all inputs, with the same outputs and state (random
 * inputs, seeded); nothing trades before a life began, before its venues answered, while an order is UNKNOWN; what a
 * venue counts otherwise closes the account and opens it again when explained, and never hides what another cause
 * closed; questions go out in portions, once, again after a second, and not into a full ring; a backlog is old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/engine_world.h"

#define MS NS_PER_MS
#define UTC_AHEAD (1700000000 * NS_PER_S)

static int setup(void **state)
{
    world_t *w = calloc(1, sizeof *w);
    world_open(w, 3, 2);
    w->utc_ahead = UTC_AHEAD;
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    *state = w;
    return 0;
}

static int setup_bare(void **state)
{
    world_t *w = calloc(1, sizeof *w);
    world_bare(w, 0, 2);
    w->utc_ahead = UTC_AHEAD;
    *state       = w;
    return 0;
}

static int teardown(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

static uint16_t buy(world_t *w, int64_t px)
{
    return world_order(w, (order_req_t){.side = SIDE_BUY, .px = px, .qty = 1});
}

static err_t boot(world_t *w, uint32_t epoch, uint32_t flags)
{
    const boot_t b = {.epoch = epoch, .flags = flags, .mono_offset_ns = 77, .session = 5};
    return world_apply_body(w, MSG_BOOT, &b);
}

static void link_up(world_t *w, uint32_t venue)
{
    world_control(w, CONTROL_VENUE_LINK, SCOPE_VENUE, venue, 1);
}

static uint64_t mass_id(const world_t *w, uint32_t n) /* request id of the n-th MASS_STATUS_REQUEST just put out */
{
    const mass_status_req_t *req = world_out(w, MSG_MASS_STATUS_REQUEST, n);
    assert_non_null(req);
    return req->request_id;
}

static err_t answer(world_t *w, uint64_t request_id, uint32_t account, uint16_t venue, mass_status_kind_t kind,
                    uint32_t instrument, int64_t qty)
{
    const mass_status_t m = {.request_id    = request_id,
                             .account_id    = account,
                             .venue_id      = venue,
                             .kind          = (uint8_t)kind,
                             .instrument_id = instrument,
                             .qty           = qty};
    return world_apply_body(w, MSG_MASS_STATUS, &m);
}

static void end(world_t *w, uint64_t request_id, uint32_t account)
{
    assert_int_equal(answer(w, request_id, account, 1, MASS_STATUS_END, 0, 0), ERR_OK);
}

/* status of the lane's order seq of epoch 3, as the venue tells it */
static void status(world_t *w, uint64_t seq, ord_status_t st, int64_t cum)
{
    exec_report_t r = world_report(w, seq, EXEC_TYPE_ORDER_STATUS);
    r.cl_ord_id     = cl_ord_id_make(3, WORLD_ORIGIN, seq);
    r.ord_status    = (uint8_t)st;
    r.cum_qty       = cum;
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &r), ERR_OK);
}

static void deliver(world_t *w, exec_report_t r)
{
    r.cl_ord_id = cl_ord_id_make(3, WORLD_ORIGIN, cl_ord_id_seq(r.cl_ord_id));
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &r), ERR_OK);
}

static uint8_t shown(const world_t *w, uint64_t seq)
{
    return order_at(engine_orders(w->engine),
                    order_find(engine_orders(w->engine), cl_ord_id_make(3, WORLD_ORIGIN, seq)))
        ->ord_status;
}

static uint16_t code_of(const world_t *w, uint32_t account)
{
    account_record_t a;
    assert_true(engine_account_record(w->engine, account, &a));
    return a.state_code;
}

/* An engine with orders acknowledged 1..n (buys of 1 at 9900 + i). */
static void orders(world_t *w, uint64_t n)
{
    for (uint64_t i = 1; i <= n; i++) {
        w->now += 20 * MS;
        world_book(w, 0, 9990, 10010);
        assert_int_equal(buy(w, 9900 + (int64_t)i), 0);
        deliver(w, world_report(w, i, EXEC_TYPE_NEW));
    }
}

/* ---- lives ------------------------------------------------------------------------------------------------------- */
static void test_recover_no_request_passes_before_the_first_life(void **state)
{
    world_t *w = *state;
    world_set_up(w);
    link_up(w, 1);
    const uint64_t asked[] = {mass_id(w, 0), mass_id(w, 1)};
    end(w, asked[0], 1);
    end(w, asked[1], 2);
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(buy(w, 9990), RISK_RECOVERING);
    assert_int_equal(order_open_count(engine_orders(w->engine)), 0);
    assert_int_equal(boot(w, 4, 0), ERR_OK);
    link_up(w, 1);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(world_out_count(w, MSG_MASS_STATUS_REQUEST), i == 0 ? 2 : 0);
        end(w, 3 + i, i + 1);
    }
    assert_int_equal(buy(w, 9990), RISK_ACCEPTED);
    assert_int_equal(cl_ord_id_epoch(((const order_req_t *)world_out_first(w, MSG_ORDER_REQUEST))->cl_ord_id), 4);
}

static void test_recover_account_of_a_running_life_waits_for_nothing(void **state)
{
    world_t *w = *state;
    assert_int_equal(boot(w, 1, 0), ERR_OK);
    link_up(w, 1);
    assert_int_equal(world_out_count(w, MSG_MASS_STATUS_REQUEST), 0);
    world_set_up(w);
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(buy(w, 9990), RISK_ACCEPTED);
}

static void test_recover_boot_must_rise(void **state)
{
    world_t       *w       = *state;
    const uint32_t wrong[] = {0, 2, 3, CL_ORD_ID_EPOCH_MAX + 1};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(boot(w, wrong[i], 0), ERR_ARG);
        assert_non_null(strstr(err_msg(), "epoch"));
    }
    assert_int_equal(boot(w, 4, 2), ERR_ARG); /* no such flag */
    assert_int_equal(engine_epoch(w->engine), 3);
    assert_int_equal(buy(w, 9990), RISK_ACCEPTED);
    assert_int_equal(boot(w, CL_ORD_ID_EPOCH_MAX, 0), ERR_OK);
    assert_int_equal(engine_epoch(w->engine), CL_ORD_ID_EPOCH_MAX);
    assert_int_equal(engine_boot(w->engine)->mono_offset_ns, 77);
}

static void test_recover_boot_closes_what_must_be_asked_about(void **state)
{
    world_t        *w = *state;
    risk_exposure_t before, after;
    orders(w, 2);
    world_control(w, CONTROL_KILL, SCOPE_ACCOUNT, 1, 1); /* the engine mints cancels */
    const uint64_t minted = cl_ord_id_seq(((const order_req_t *)world_out(w, MSG_ORDER_REQUEST, 1))->cl_ord_id);
    world_control(w, CONTROL_KILL, SCOPE_ACCOUNT, 1, 0);
    world_control(w, CONTROL_RING_FULL, SCOPE_VENUE, 1, 1);
    assert_true(risk_exposure(engine_risk(w->engine), 1, 1, &before));
    assert_int_equal(boot(w, 7, BOOT_ORDERS_UNKNOWN), ERR_OK);
    assert_int_equal(w->out.len, 0); /* no report, no question: nobody is there yet */
    assert_int_equal(shown(w, 1), ORD_STATUS_UNKNOWN);
    assert_int_equal(shown(w, 2), ORD_STATUS_UNKNOWN);
    assert_true(risk_exposure(engine_risk(w->engine), 1, 1, &after));
    assert_int_equal(before.buy_open, after.buy_open); /* counted as they were */
    world_tick(w, 100 * MS);                           /* nobody was asked, so nobody has answered */
    for (uint32_t account = 1; account <= 2; account++) {
        assert_int_equal(code_of(w, account), RISK_RECOVERING);
    }
    risk_venue_state_t venue;
    assert_true(risk_venue_state(engine_risk(w->engine), 1, &venue));
    assert_int_equal(venue.link_up, 0);
    assert_int_equal(venue.ring_full, 0);
    order_req_t old = {.cl_ord_id       = cl_ord_id_make(3, WORLD_ORIGIN, 50),
                       .tenant_id       = 1,
                       .account_id      = 1,
                       .strategy_id     = WORLD_ORIGIN,
                       .instrument_id   = 1,
                       .action          = ORDER_ACTION_NEW,
                       .side            = SIDE_BUY,
                       .ord_type        = ORD_TYPE_LIMIT,
                       .tif             = TIF_GTC,
                       .px              = 9990,
                       .qty             = 1,
                       .created_mono_ns = w->now};
    assert_int_equal(world_apply_body(w, MSG_ORDER_REQUEST, &old), ERR_OK);
    assert_int_equal(((const verdict_t *)world_out_first(w, MSG_VERDICT))->code, RISK_BAD_CLIENT_ORDER_ID);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        status(w, seq, ORD_STATUS_NEW, 0);
    }
    w->now += 2 * NS_PER_S;
    world_control(w, CONTROL_KILL, SCOPE_GLOBAL, 0, 1);
    const order_req_t *cancel = world_out_first(w, MSG_ORDER_REQUEST);
    assert_int_equal(cl_ord_id_epoch(cancel->cl_ord_id), 7);
    assert_int_equal(cl_ord_id_seq(cancel->cl_ord_id), minted + 1); /* counters go on */
}

static void test_recover_boot_of_a_process_that_died_knows_its_orders(void **state)
{
    world_t *w = *state;
    orders(w, 1);
    assert_int_equal(boot(w, 4, 0), ERR_OK);
    assert_int_equal(shown(w, 1), ORD_STATUS_NEW);
    exec_report_t unsent = world_report(w, 1, EXEC_TYPE_UNSENT);
    unsent.reject_code   = RISK_RECOVERING;
    deliver(w, unsent);
    assert_int_equal(shown(w, 1), ORD_STATUS_REJECTED);
}

/* ---- reconciliation ---------------------------------------------------------------------------------------------- */
static void test_recover_trades_again_when_all_is_answered(void **state)
{
    world_t *w = *state;
    orders(w, 3);
    exec_report_t f = world_fill(w, 1, SIDE_BUY, 9901, 1);
    f.ts_event_ns   = UTC_AHEAD + 500 * MS;
    deliver(w, f);
    assert_int_equal(boot(w, 4, BOOT_ORDERS_UNKNOWN), ERR_OK);
    w->now += 60 * NS_PER_S;
    link_up(w, 1);
    assert_int_equal(world_out_count(w, MSG_MASS_STATUS_REQUEST), 2);
    assert_int_equal(world_out_count(w, MSG_ORDER_STATUS_REQUEST), 2); /* order 1 is filled */
    const mass_status_req_t first = *(const mass_status_req_t *)world_out(w, MSG_MASS_STATUS_REQUEST, 0);
    const mass_status_req_t other = *(const mass_status_req_t *)world_out(w, MSG_MASS_STATUS_REQUEST, 1);
    assert_int_equal(first.account_id, 1);
    assert_int_equal(first.venue_id, 1);
    assert_int_equal(other.account_id, 2);
    assert_true(other.request_id > first.request_id);
    assert_int_equal(first.since_utc_ns, 0); /* never reconciled: all there is */
    const order_status_req_t *q = world_out(w, MSG_ORDER_STATUS_REQUEST, 0);
    assert_int_equal(q->cl_ord_id, cl_ord_id_make(3, WORLD_ORIGIN, 2)); /* in the order of the table's rows */
    assert_int_equal(q->order_id_lo, 2);
    assert_int_equal(q->account_id, 1);
    assert_int_equal(q->instrument_id, 1);
    deliver(w, f); /* told again: known by its id */
    assert_int_equal(w->out.len, 0);
    assert_int_equal(answer(w, first.request_id, 1, 1, MASS_STATUS_POSITION, 1, 1), ERR_OK);
    assert_int_equal(answer(w, first.request_id, 1, 1, MASS_STATUS_BALANCE, 0, 0), ERR_OK);
    end(w, first.request_id, 1);
    assert_int_equal(w->out.len, 0);
    assert_int_equal(code_of(w, 1), RISK_RECOVERING); /* two orders are not known yet */
    status(w, 2, ORD_STATUS_NEW, 0);
    status(w, 3, ORD_STATUS_CANCELED, 0);
    world_tick(w, 100 * MS);
    assert_int_equal(code_of(w, 1), 0);
    assert_int_equal(code_of(w, 2), RISK_RECOVERING);
    end(w, other.request_id, 2); /* none named: flat, as we are */
    assert_int_equal(code_of(w, 2), 0);
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(buy(w, 9990), RISK_ACCEPTED);
}

static void test_recover_difference_closes_the_account_until_it_is_explained(void **state)
{
    world_t *w = *state;
    link_up(w, 1);
    const uint64_t id = mass_id(w, 0), id2 = mass_id(w, 1);
    end(w, id2, 2);
    assert_int_equal(answer(w, id, 1, 1, MASS_STATUS_POSITION, 1, 5), ERR_OK);
    end(w, id, 1);
    const alarm_t *alarm = world_out_first(w, MSG_ALARM);
    assert_non_null(alarm);
    assert_int_equal(alarm->kind, ALARM_ACCOUNT_UNRECONCILED);
    assert_int_equal(alarm->code, RISK_UNRECONCILED);
    assert_int_equal(alarm->account_id, 1);
    assert_int_equal(alarm->instrument_id, 1);
    assert_int_equal(alarm->observed, 0);
    assert_int_equal(alarm->limit, 5);
    assert_int_equal(buy(w, 9990), RISK_UNRECONCILED);
    assert_int_equal(world_order(w, (order_req_t){.account_id = 2, .side = SIDE_BUY, .px = 9990, .qty = 1}), 0);
    exec_report_t late = world_fill(w, 900, SIDE_BUY, 9990, 5); /* of an order that nobody here knows */
    late.account_id    = 1;
    deliver(w, late);
    link_up(w, 1);
    const uint64_t again = mass_id(w, 0);
    assert_int_equal(answer(w, again, 1, 1, MASS_STATUS_POSITION, 1, 5), ERR_OK);
    end(w, again, 1);
    assert_int_equal(world_out_count(w, MSG_ALARM), 0);
    assert_int_equal(code_of(w, 1), 0);
}

static void test_recover_equality_lifts_no_other_cause(void **state)
{
    world_t      *w     = *state;
    exec_report_t alien = world_report(w, 77, EXEC_TYPE_NEW);
    alien.account_id    = 1;
    deliver(w, alien);
    assert_int_equal(code_of(w, 1), RISK_UNRECONCILED);
    world_control(w, CONTROL_UNRECONCILED, SCOPE_ACCOUNT, 2, 1);
    world_control(w, CONTROL_RECOVERING, SCOPE_ACCOUNT, 2, 1);
    link_up(w, 1);
    const uint64_t a = mass_id(w, 0), b = mass_id(w, 1);
    end(w, a, 1);
    end(w, b, 2);
    assert_int_equal(code_of(w, 1), RISK_UNRECONCILED);
    assert_int_equal(code_of(w, 2), RISK_RECOVERING); /* a person set it, a person lifts it */
    world_control(w, CONTROL_RECOVERING, SCOPE_ACCOUNT, 2, 0);
    assert_int_equal(code_of(w, 2), RISK_UNRECONCILED);
    world_control(w, CONTROL_UNRECONCILED, SCOPE_ACCOUNT, 1, 0);
    world_control(w, CONTROL_UNRECONCILED, SCOPE_ACCOUNT, 2, 0);
    assert_int_equal(code_of(w, 1), 0);
    assert_int_equal(code_of(w, 2), 0);
}

static void test_recover_person_may_lift_a_difference(void **state)
{
    world_t *w = *state;
    link_up(w, 1);
    const uint64_t id = mass_id(w, 0);
    end(w, mass_id(w, 1), 2);
    assert_int_equal(answer(w, id, 1, 1, MASS_STATUS_POSITION, 1, -3), ERR_OK);
    end(w, id, 1);
    assert_int_equal(code_of(w, 1), RISK_UNRECONCILED);
    world_control(w, CONTROL_UNRECONCILED, SCOPE_ACCOUNT, 1, 0);
    assert_int_equal(code_of(w, 1), 0);
    world_instrument(w, 2, "Y");
    link_up(w, 2); /* which has nothing to do with it */
    assert_int_equal(answer(w, mass_id(w, 0), 1, 2, MASS_STATUS_END, 0, 0), ERR_OK);
    assert_int_equal(code_of(w, 1), 0);
}

static void test_recover_fills_that_were_fetched_explain_the_position(void **state)
{
    world_t *w = *state;
    orders(w, 1);
    assert_int_equal(boot(w, 4, BOOT_ORDERS_UNKNOWN), ERR_OK);
    link_up(w, 1);
    const uint64_t id = mass_id(w, 0);
    status(w, 1, ORD_STATUS_FILLED, 1); /* a gap: its fill is on its way */
    deliver(w, world_fill(w, 1, SIDE_BUY, 9901, 1));
    assert_int_equal(shown(w, 1), ORD_STATUS_FILLED);
    assert_int_equal(answer(w, id, 1, 1, MASS_STATUS_POSITION, 1, 1), ERR_OK);
    end(w, id, 1);
    assert_int_equal(w->out.len, 0);
    assert_int_equal(code_of(w, 1), 0);
}

static void test_recover_asks_again_what_failed(void **state)
{
    world_t *w = *state;
    link_up(w, 1);
    const uint64_t id = mass_id(w, 0), other = mass_id(w, 1);
    w->now += 5 * NS_PER_S; /* it tried for long: the second counts from here */
    assert_int_equal(answer(w, id, 1, 1, MASS_STATUS_FAILED, 0, 0), ERR_OK);
    end(w, other, 2);
    world_tick(w, NS_PER_S - 1);
    assert_int_equal(world_out_count(w, MSG_MASS_STATUS_REQUEST), 0);
    end(w, id, 1); /* too late: that question failed */
    assert_int_equal(code_of(w, 1), RISK_RECOVERING);
    world_tick(w, 1);
    assert_int_equal(world_out_count(w, MSG_MASS_STATUS_REQUEST), 1);
    assert_true(mass_id(w, 0) > other);
    end(w, mass_id(w, 0), 1);
    assert_int_equal(code_of(w, 1), 0);
}

static void test_recover_ignores_answers_to_old_questions(void **state)
{
    world_t *w = *state;
    link_up(w, 1);
    const uint64_t old = mass_id(w, 0);
    assert_int_equal(answer(w, old, 1, 1, MASS_STATUS_POSITION, 1, 9), ERR_OK);
    link_up(w, 1); /* the adapter began anew */
    const uint64_t id = mass_id(w, 0);
    assert_int_not_equal(id, old);
    end(w, old, 1);
    assert_int_equal(code_of(w, 1), RISK_RECOVERING);
    end(w, id, 1); /* and the 9 belonged to the old one */
    assert_int_equal(code_of(w, 1), 0);
    end(w, id, 1); /* twice */
    assert_int_equal(answer(w, id, 1, 1, MASS_STATUS_POSITION, 1, 9), ERR_OK);
    assert_int_equal(w->out.len, 0);
    assert_int_equal(answer(w, id, 3, 1, MASS_STATUS_END, 0, 0), ERR_NOT_FOUND);
    assert_int_equal(answer(w, id, 1, 9, MASS_STATUS_END, 0, 0), ERR_NOT_FOUND);
    assert_int_equal(answer(w, id, 1, 1, MASS_STATUS_NONE, 0, 0), ERR_ARG);
    assert_int_equal(answer(w, id, 1, 1, MASS_STATUS_KIND_COUNT, 0, 0), ERR_ARG);
}

static void test_recover_position_in_a_stranger_is_a_difference(void **state)
{
    world_t *w = *state;
    link_up(w, 1);
    const uint64_t id = mass_id(w, 0);
    assert_int_equal(answer(w, id, 1, 1, MASS_STATUS_POSITION, 4, 0), ERR_OK); /* flat: nothing */
    assert_int_equal(answer(w, id, 1, 1, MASS_STATUS_POSITION, 4, 8), ERR_OK);
    end(w, id, 1);
    const alarm_t *alarm = world_out_first(w, MSG_ALARM);
    assert_non_null(alarm);
    assert_int_equal(alarm->instrument_id, 4);
    assert_int_equal(alarm->limit, 8);
    assert_int_equal(code_of(w, 1), RISK_UNRECONCILED);
}

static void test_recover_asks_for_fills_since_the_last_sure_one(void **state)
{
    world_t *w = *state;
    orders(w, 3);
    link_up(w, 1);
    end(w, mass_id(w, 0), 1);
    exec_report_t f = world_fill(w, 1, SIDE_BUY, 9901, 1);
    f.ts_event_ns   = UTC_AHEAD + 400 * MS;
    w->now += 500 * NS_PER_S;
    deliver(w, f);
    world_control(w, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 0); /* from here on fills may be missed */
    f.exec_id_lo++;
    f.cl_ord_id   = cl_ord_id_make(3, WORLD_ORIGIN, 2);
    f.ts_event_ns = INT64_MAX; /* and a wild clock hides none */
    deliver(w, f);
    link_up(w, 1);
    const mass_status_req_t *req = world_out_first(w, MSG_MASS_STATUS_REQUEST);
    assert_int_equal(req->since_utc_ns, UTC_AHEAD + 400 * MS - 10 * NS_PER_S);
    assert_int_equal(answer(w, req->request_id, 1, 1, MASS_STATUS_FAILED, 0, 0), ERR_OK);
    world_tick(w, NS_PER_S);
    req = world_out_first(w, MSG_MASS_STATUS_REQUEST);
    assert_int_equal(req->since_utc_ns, UTC_AHEAD + 400 * MS - 10 * NS_PER_S); /* held until answered */
    const uint64_t id = req->request_id;
    assert_int_equal(answer(w, id, 1, 1, MASS_STATUS_POSITION, 1, 2), ERR_OK);
    end(w, id, 1);
    const int64_t at = w->now - NS_PER_S; /* when the wild one came */
    link_up(w, 1);
    req = world_out_first(w, MSG_MASS_STATUS_REQUEST);
    assert_int_equal(req->since_utc_ns, UTC_AHEAD + at - 10 * NS_PER_S);
}

static void test_recover_compares_every_minute_without_stopping(void **state)
{
    world_t *w = *state;
    link_up(w, 1);
    end(w, mass_id(w, 0), 1);
    world_tick(w, 60 * NS_PER_S - 1);
    assert_int_equal(world_out_count(w, MSG_MASS_STATUS_REQUEST), 0);
    world_tick(w, 1);
    assert_int_equal(world_out_count(w, MSG_MASS_STATUS_REQUEST), 1); /* account 2 has not answered the first */
    assert_int_equal(code_of(w, 1), 0);
    const uint64_t id = mass_id(w, 0);
    assert_int_equal(answer(w, id, 1, 1, MASS_STATUS_POSITION, 1, 1), ERR_OK);
    end(w, id, 1);
    assert_int_equal(code_of(w, 1), RISK_UNRECONCILED);
}

static void test_recover_waits_for_every_venue_that_was_asked(void **state)
{
    world_t *w = *state;
    world_instrument(w, 2, "Y");
    link_up(w, 1);
    const uint64_t a = mass_id(w, 0);
    link_up(w, 2);
    uint64_t      b = mass_id(w, 0);
    exec_report_t f = world_fill(w, 900, SIDE_BUY, 9990, 3);
    f.account_id    = 1;
    deliver(w, f); /* X is of venue 1: venue 2 says nothing of it */
    assert_int_equal(answer(w, b, 1, 2, MASS_STATUS_END, 0, 0), ERR_OK);
    assert_int_equal(world_out_count(w, MSG_ALARM), 0);
    link_up(w, 2);
    b = mass_id(w, 0);
    assert_int_equal(answer(w, a, 1, 1, MASS_STATUS_POSITION, 1, 3), ERR_OK);
    end(w, a, 1);
    assert_int_equal(code_of(w, 1), RISK_RECOVERING);
    assert_int_equal(answer(w, b, 1, 2, MASS_STATUS_POSITION, 1, 6), ERR_OK); /* X is of venue 1 */
    assert_int_equal(answer(w, b, 1, 2, MASS_STATUS_END, 0, 0), ERR_OK);
    assert_int_equal(code_of(w, 1), RISK_UNRECONCILED);
    link_up(w, 1);
    const uint64_t d = mass_id(w, 0);
    assert_int_equal(answer(w, d, 1, 1, MASS_STATUS_POSITION, 1, 3), ERR_OK);
    end(w, d, 1); /* equal there, which says nothing of venue 2 */
    assert_int_equal(code_of(w, 1), RISK_UNRECONCILED);
    link_up(w, 2);
    const uint64_t c = mass_id(w, 0);
    world_control(w, CONTROL_VENUE_LINK, SCOPE_VENUE, 2, 0); /* 153 guards it from here */
    assert_int_equal(answer(w, c, 1, 2, MASS_STATUS_END, 0, 0), ERR_OK);
    assert_int_equal(code_of(w, 1), RISK_RECOVERING);
    world_tick(w, 100 * MS);
    assert_int_equal(code_of(w, 1), RISK_UNRECONCILED);
    link_up(w, 2);
    assert_int_equal(answer(w, mass_id(w, 0), 1, 2, MASS_STATUS_END, 0, 0), ERR_OK);
    assert_int_equal(code_of(w, 1), 0);
}

/* ---- questions about orders -------------------------------------------------------------------------------------- */
static void test_recover_asks_in_portions_and_once(void **state)
{
    world_t *w        = *state;
    bool     seen[51] = {false};
    orders(w, 50);
    for (uint64_t i = 1; i <= 50; i++) { /* in the other account */
        w->now += 20 * MS;
        world_book(w, 0, 9990, 10010);
        assert_int_equal(
            world_order(w, (order_req_t){.account_id = 2, .side = SIDE_BUY, .px = 9800 + (int64_t)i, .qty = 1}), 0);
    }
    w->now += NS_PER_S;
    link_up(w, 1);
    uint32_t total = 0;
    for (int input = 0; input < 4; input++) {
        const uint32_t n    = world_out_count(w, MSG_ORDER_STATUS_REQUEST);
        const uint32_t mass = world_out_count(w, MSG_MASS_STATUS_REQUEST);
        assert_int_equal(mass, input == 0 ? 2 : 0);
        assert_true(n + mass <= ENGINE_QUERIES_MAX);
        for (uint32_t i = 0; i < n; i++) {
            const order_status_req_t *q = world_out(w, MSG_ORDER_STATUS_REQUEST, i);
            if (q->account_id == 1) {
                assert_false(seen[cl_ord_id_seq(q->cl_ord_id)]);
                seen[cl_ord_id_seq(q->cl_ord_id)] = true;
            }
        }
        total += n;
        const trade_t trade = {.instrument_id = 1, .px = 10000, .qty = 1};
        assert_int_equal(world_apply_body(w, MSG_TRADE, &trade), ERR_OK);
    }
    assert_int_equal(total, 100);
    assert_int_equal(shown(w, 1), ORD_STATUS_NEW);       /* its state is known, the question is a check */
    assert_int_equal(shown(w, 100), ORD_STATUS_UNKNOWN); /* never acknowledged: it may be lost */
}

static void test_recover_asks_about_unknown_orders_once_a_second(void **state)
{
    world_t *w = *state;
    orders(w, 1);
    link_up(w, 1);
    end(w, mass_id(w, 0), 1);
    status(w, 1, ORD_STATUS_NEW, 0);
    world_tick(w, 100 * MS);
    assert_int_equal(code_of(w, 1), 0); /* known before, and answered */
    deliver(w, world_report(w, 1, EXEC_TYPE_TIMEOUT));
    assert_int_equal(shown(w, 1), ORD_STATUS_UNKNOWN);
    w->now += NS_PER_S;
    uint32_t asked = 0;
    for (int i = 0; i < 35; i++) { /* 3.5 s */
        world_tick(w, 100 * MS);
        asked += world_out_count(w, MSG_ORDER_STATUS_REQUEST);
    }
    assert_int_equal(asked, 4);
    status(w, 1, ORD_STATUS_NEW, 0);
    assert_int_equal(shown(w, 1), ORD_STATUS_NEW);
    for (int i = 0; i < 20; i++) {
        world_tick(w, 100 * MS);
        assert_int_equal(world_out_count(w, MSG_ORDER_STATUS_REQUEST), 0);
    }
}

static void test_recover_order_that_never_arrived_is_given_up(void **state)
{
    world_t *w = *state;
    assert_int_equal(buy(w, 9990), 0);
    link_up(w, 1); /* the adapter died with it in hand */
    end(w, mass_id(w, 0), 1);
    assert_int_equal(shown(w, 1), ORD_STATUS_UNKNOWN);
    status(w, 1, ORD_STATUS_NONE, -1);
    world_tick(w, 100 * MS);
    assert_int_equal(code_of(w, 1), RISK_RECOVERING);
    assert_int_equal(world_out_count(w, MSG_ORDER_STATUS_REQUEST), 0);
    world_tick(w, 900 * MS);
    assert_int_equal(world_out_count(w, MSG_ORDER_STATUS_REQUEST), 1);
    status(w, 1, ORD_STATUS_NONE, -1);
    assert_int_equal(shown(w, 1), ORD_STATUS_REJECTED);
    world_tick(w, 100 * MS);
    assert_int_equal(code_of(w, 1), 0);
}

static void test_recover_order_that_the_venue_lost_is_for_a_person(void **state)
{
    world_t *w = *state;
    orders(w, 1);
    link_up(w, 1);
    end(w, mass_id(w, 0), 1);
    status(w, 1, ORD_STATUS_NONE, -1); /* it had it, and does not know it any more */
    assert_int_equal(shown(w, 1), ORD_STATUS_UNKNOWN);
    world_tick(w, 100 * MS);
    assert_int_equal(code_of(w, 1), RISK_RECOVERING);
    world_tick(w, 900 * MS);
    assert_int_equal(world_out_count(w, MSG_ORDER_STATUS_REQUEST), 1);
    status(w, 1, ORD_STATUS_NONE, -1);
    world_tick(w, 100 * MS);
    assert_int_equal(code_of(w, 1), RISK_UNRECONCILED);
    assert_int_equal(shown(w, 1), ORD_STATUS_UNKNOWN); /* and counts */
    world_tick(w, 900 * MS);
    assert_int_equal(world_out_count(w, MSG_ORDER_STATUS_REQUEST), 1); /* asked on */
    status(w, 1, ORD_STATUS_CANCELED, 0);
    world_tick(w, 100 * MS);
    assert_int_equal(code_of(w, 1), 0);
}

static void test_recover_settles_requests_that_were_lost(void **state)
{
    world_t *w = *state;
    orders(w, 2);
    assert_int_equal(world_order(w, (order_req_t){.action         = ORDER_ACTION_CANCEL,
                                                  .orig_cl_ord_id = cl_ord_id_make(3, WORLD_ORIGIN, 1)}),
                     0);
    assert_int_equal(world_order(w, (order_req_t){.action         = ORDER_ACTION_REPLACE,
                                                  .orig_cl_ord_id = cl_ord_id_make(3, WORLD_ORIGIN, 2),
                                                  .side           = SIDE_BUY,
                                                  .px             = 9950,
                                                  .qty            = 7}),
                     0);
    link_up(w, 1);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        assert_int_equal(shown(w, seq), ORD_STATUS_UNKNOWN);
        exec_report_t r = world_report(w, seq, EXEC_TYPE_ORDER_STATUS);
        r.ord_status    = ORD_STATUS_NEW;
        r.cum_qty       = 0;
        r.order_qty     = 1;
        r.px            = 9900 + (int64_t)seq;
        deliver(w, r);
        assert_int_equal(shown(w, seq), ORD_STATUS_NEW);
    }
    risk_exposure_t exposure;
    assert_true(risk_exposure(engine_risk(w->engine), 1, 1, &exposure));
    assert_int_equal(exposure.buy_open, 2);
}

/* ---- a full ring ------------------------------------------------------------------------------------------------- */
static void test_recover_full_ring_takes_cancels_only(void **state)
{
    world_t *w = *state;
    orders(w, 2);
    const control_t wrong[] = {{.kind = CONTROL_RING_FULL, .scope_type = SCOPE_ACCOUNT, .scope_id = 1, .value = 1},
                               {.kind = CONTROL_RING_FULL, .scope_type = SCOPE_VENUE, .scope_id = 99, .value = 1},
                               {.kind = CONTROL_RING_FULL, .scope_type = SCOPE_VENUE, .scope_id = 1, .value = 2}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_apply_body(w, MSG_CONTROL, &wrong[i]), ERR_ARG);
    }
    assert_int_equal(buy(w, 9990), RISK_ACCEPTED);
    world_control(w, CONTROL_RING_FULL, SCOPE_VENUE, 1, 1);
    assert_int_equal(buy(w, 9980), RISK_RING_FULL);
    const verdict_t *v = world_out_first(w, MSG_VERDICT);
    assert_int_equal(v->scope_type, SCOPE_VENUE);
    assert_int_equal(v->scope_id, 1);
    const order_req_t replace = {.action         = ORDER_ACTION_REPLACE,
                                 .orig_cl_ord_id = cl_ord_id_make(3, WORLD_ORIGIN, 1),
                                 .side           = SIDE_BUY,
                                 .px             = 9950,
                                 .qty            = 7};
    assert_int_equal(world_order(w, replace), RISK_RING_FULL);
    assert_int_equal(world_order(w, (order_req_t){.action         = ORDER_ACTION_CANCEL,
                                                  .orig_cl_ord_id = cl_ord_id_make(3, WORLD_ORIGIN, 2)}),
                     RISK_ACCEPTED);
    world_control(w, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_PRE_OPEN);
    assert_int_equal(buy(w, 9980), RISK_TYPE_NOT_IN_PHASE); /* 157 stands before it */
    world_control(w, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_OPEN);
    world_control(w, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, 1);
    assert_int_equal(buy(w, 9980), RISK_RING_FULL); /* and 150 behind it */
    world_control(w, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, 1, 0);
    world_control(w, CONTROL_RING_FULL, SCOPE_VENUE, 1, 0);
    assert_int_equal(world_order(w, replace), RISK_ACCEPTED);
}

static void test_recover_full_ring_takes_no_questions(void **state)
{
    world_t *w = *state;
    orders(w, 2);
    world_control(w, CONTROL_RING_FULL, SCOPE_VENUE, 1, 1);
    link_up(w, 1);
    assert_int_equal(w->out.len, 0);
    world_tick(w, 100 * MS);
    assert_int_equal(world_out_count(w, MSG_ORDER_STATUS_REQUEST), 0);
    world_control(w, CONTROL_RING_FULL, SCOPE_VENUE, 1, 0);
    world_tick(w, 100 * MS);
    assert_int_equal(world_out_count(w, MSG_MASS_STATUS_REQUEST), 2);
    assert_int_equal(world_out_count(w, MSG_ORDER_STATUS_REQUEST), 2);
}

/* ---- books ------------------------------------------------------------------------------------------------------- */
static const snapshot_req_t *asked(const world_t *w)
{
    assert_true(world_out_count(w, MSG_SNAPSHOT_REQUEST) <= 1);
    return world_out_first(w, MSG_SNAPSHOT_REQUEST);
}

static void test_recover_broken_book_asks_for_a_snapshot(void **state)
{
    world_t *w = *state;
    w->rpt_seq++; /* one never arrived */
    world_book(w, 0, 9991, 10011);
    assert_non_null(asked(w));
    assert_int_equal(asked(w)->instrument_id, 1);
    assert_int_equal(asked(w)->reason, FEED_REASON_LOST);
    world_book(w, 0, 9991, 10011);
    assert_null(asked(w));
    world_tick(w, NS_PER_S - 1);
    assert_null(asked(w));
    world_tick(w, 1);
    assert_non_null(asked(w));
    const feed_state_t recovering = {.instrument_id = 1, .health = FEED_RECOVERING, .reason = FEED_REASON_GAP};
    assert_int_equal(world_apply_body(w, MSG_FEED_STATE, &recovering), ERR_OK);
    world_tick(w, NS_PER_S);
    assert_non_null(asked(w)); /* it may never come */
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    world_tick(w, NS_PER_S);
    assert_null(asked(w)); /* LIVE */
    world_tick(w, NS_PER_S);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_STALE);
    assert_null(asked(w)); /* silent is not wrong */
    const feed_state_t broken = {.instrument_id = 1, .health = FEED_BROKEN, .reason = FEED_REASON_GAP};
    assert_int_equal(world_apply_body(w, MSG_FEED_STATE, &broken), ERR_OK);
    assert_int_equal(asked(w)->reason, FEED_REASON_GAP); /* long after the last: at once */
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    world_book(w, 0, 10020, 10010); /* crossed, right after: with the next TICK that is due */
    assert_null(asked(w));
    world_tick(w, NS_PER_S);
    assert_int_equal(asked(w)->reason, FEED_REASON_CROSSED);
}

static void test_recover_first_snapshot_has_a_second(void **state)
{
    world_t *w = *state;
    world_instrument(w, 2, "Y");
    world_tick(w, NS_PER_S - 1);
    assert_null(asked(w));
    world_tick(w, 1);
    assert_int_equal(asked(w)->instrument_id, 2);
    assert_int_equal(asked(w)->reason, FEED_REASON_START);
    world_control(w, CONTROL_RING_FULL, SCOPE_VENUE, 2, 1);
    world_tick(w, NS_PER_S);
    assert_null(asked(w));
    world_control(w, CONTROL_RING_FULL, SCOPE_VENUE, 2, 0);
    world_tick(w, 1);
    assert_int_equal(asked(w)->instrument_id, 2);
}

/* ---- age --------------------------------------------------------------------------------------------------------- */
static err_t book_received(world_t *w, uint32_t flags, int64_t ts_recv_ns)
{
    const level_t       levels[] = {{9990, 100}, {10010, 100}};
    const book_update_t upd      = {.instrument_id = 1,
                                    .flags         = flags | BOOK_FLAG_FIRST | BOOK_FLAG_LAST,
                                    .rpt_seq       = ++w->rpt_seq,
                                    .venue_seq     = w->rpt_seq,
                                    .ts_recv_ns    = ts_recv_ns,
                                    .bid_count     = 1,
                                    .ask_count     = 1};
    return world_apply(w, &(msg_t){.type = MSG_BOOK_UPDATE, .body = &upd, .tail = levels, .tail_count = 2});
}

static void test_recover_backlog_is_as_old_as_it_is(void **state)
{
    world_t *w = *state;
    w->now += 10 * NS_PER_S;
    const int64_t utc = w->now + UTC_AHEAD;
    assert_int_equal(book_received(w, 0, utc - 500 * MS), ERR_OK); /* the limit, to the nanosecond */
    assert_int_equal(buy(w, 9990), RISK_ACCEPTED);
    assert_int_equal(book_received(w, 0, utc - 500 * MS - 1), ERR_OK);
    assert_int_equal(buy(w, 9980), RISK_STALE_MARKET_DATA);
    assert_int_equal(((const verdict_t *)world_out_first(w, MSG_VERDICT))->observed, 500 * MS + 1);
    assert_int_equal(book_received(w, 0, utc - NS_PER_S - 1), ERR_OK);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_LIVE); /* its levels are in order */
    world_tick(w, 0);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_STALE);
    assert_int_equal(book_received(w, 0, utc + NS_PER_S), ERR_OK); /* ahead of us says nothing */
    assert_int_equal(buy(w, 9970), RISK_ACCEPTED);
    w->now += 501 * MS;
    assert_int_equal(buy(w, 9965), RISK_STALE_MARKET_DATA); /* it is of then, not of a second later */
    assert_int_equal(book_received(w, 0, 0), ERR_OK);
    assert_int_equal(buy(w, 9960), RISK_ACCEPTED);
}

static void test_recover_old_quotes_and_trades_are_old(void **state)
{
    world_t *w = *state;
    w->now += 10 * NS_PER_S;
    const int64_t utc = w->now + UTC_AHEAD;
    assert_int_equal(book_received(w, 0, utc - 900 * MS), ERR_OK); /* too old for risk */
    trade_t trade = {.instrument_id = 1, .px = 10000, .qty = 1, .ts_recv_ns = utc - 600 * MS};
    assert_int_equal(world_apply_body(w, MSG_TRADE, &trade), ERR_OK);
    assert_int_equal(buy(w, 9990), RISK_STALE_MARKET_DATA);
    top_t top = {.instrument_id = 1,
                 .venue_seq     = w->rpt_seq + 1,
                 .bid_px        = 9990,
                 .bid_qty       = 1,
                 .ask_px        = 10010,
                 .ask_qty       = 1,
                 .ts_recv_ns    = utc - 700 * MS};
    assert_int_equal(world_apply_body(w, MSG_TOP, &top), ERR_OK);
    assert_int_equal(buy(w, 9980), RISK_STALE_MARKET_DATA);
    top.venue_seq++;
    top.ts_recv_ns = utc - 100 * MS;
    assert_int_equal(world_apply_body(w, MSG_TOP, &top), ERR_OK);
    assert_int_equal(buy(w, 9970), RISK_ACCEPTED);
    w->now += 450 * MS; /* 550 ms old now */
    assert_int_equal(buy(w, 9960), RISK_STALE_MARKET_DATA);
    trade.ts_recv_ns = w->now + UTC_AHEAD;
    assert_int_equal(world_apply_body(w, MSG_TRADE, &trade), ERR_OK);
    assert_int_equal(buy(w, 9950), RISK_ACCEPTED);
}

/* ---- set-up records ---------------------------------------------------------------------------------------------- */
static err_t define(world_t *w, uint32_t id, const char *symbol, int64_t lot, int64_t tick)
{
    const instrument_def_t def  = {.instrument_id = id,
                                   .venue_id      = 1,
                                   .kind          = INSTRUMENT_SPOT,
                                   .money_exp     = 2,
                                   .mult          = 1,
                                   .lot           = lot,
                                   .min_qty       = 1,
                                   .settle_ccy    = ccy_pack("USD")};
    const tick_band_t      band = {.tick = tick};
    return world_apply(
        w, &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def, .tail = &band, .tail_count = 1, .text = symbol});
}

static void test_recover_equal_definition_is_nothing(void **state)
{
    world_t *w = *state;
    assert_int_equal(define(w, 0, "X", 1, 1), ERR_OK);
    assert_int_equal(define(w, 1, "X", 1, 1), ERR_OK);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_LIVE); /* untouched */
    assert_int_equal(engine_instrument_count(w->engine), 1);
    assert_int_equal(define(w, 0, "X", 2, 1), ERR_EXISTS);
    assert_int_equal(define(w, 0, "X", 1, 2), ERR_EXISTS);
    assert_int_equal(define(w, 2, "X", 1, 1), ERR_EXISTS);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(define(w, 0, (const char *const[]){"A", "B", "C"}[i], 1, 1), ERR_OK);
    }
    assert_int_equal(define(w, 0, "D", 1, 1), ERR_LIMIT);
    assert_int_equal(define(w, 0, "X", 1, 1), ERR_OK); /* also when there is no room for one more */
}

static err_t account(world_t *w, account_def_t def)
{
    return world_apply_body(w, MSG_ACCOUNT_DEF, &def);
}

static void test_recover_accounts_come_in_order_and_once(void **state)
{
    world_t            *w    = *state;
    const account_def_t good = {
        .account_id = 1, .tenant_id = 1, .ccy = ccy_pack("USD"), .initial = 500, .money_exp = 2};
    account_def_t def = good;
    def.account_id    = 2;
    assert_int_equal(account(w, def), ERR_ARG); /* not the next one */
    def.account_id = 0;
    assert_int_equal(account(w, def), ERR_ARG);
    def           = good;
    def.tenant_id = 2;
    assert_int_equal(account(w, def), ERR_ARG);
    def     = good;
    def.ccy = 0;
    assert_int_equal(account(w, def), ERR_ARG);
    def           = good;
    def.money_exp = 13;
    assert_int_equal(account(w, def), ERR_ARG);
    assert_int_equal(engine_account_count(w->engine), 0);
    account_record_t record;
    assert_false(engine_account_record(w->engine, 1, &record));
    assert_int_equal(account(w, good), ERR_OK);
    assert_int_equal(account(w, good), ERR_OK); /* said again */
    def         = good;
    def.initial = 501;
    assert_int_equal(account(w, def), ERR_EXISTS);
    def           = good;
    def.money_exp = 3;
    assert_int_equal(account(w, def), ERR_EXISTS);
    def            = good;
    def.account_id = 2;
    assert_int_equal(account(w, def), ERR_OK);
    def.account_id = 3;
    assert_int_equal(account(w, def), ERR_ARG); /* no room */
    assert_int_equal(engine_account_count(w->engine), 2);
    assert_true(engine_account_record(w->engine, 1, &record));
    assert_int_equal(record.initial, 500);
    assert_int_equal(record.equity, 500);
    assert_int_equal(record.money_exp, 2);
    assert_int_equal(record.ccy, ccy_pack("USD"));
}

static void test_recover_limits_come_by_record(void **state)
{
    world_t      *w = *state;
    risk_limits_t l;
    const risk_t *risk = engine_risk(w->engine);
    assert_true(risk_limits_known(risk, SCOPE_INSTRUMENT, 1, 0));
    assert_false(risk_limits_known(risk, SCOPE_INSTRUMENT, 2, 0));
    assert_true(risk_limits_known(risk, SCOPE_ACCOUNT_INSTRUMENT, 2, 1));
    assert_false(risk_limits_known(risk, SCOPE_ACCOUNT_INSTRUMENT, 2, 2));
    assert_false(risk_limits_known(risk, SCOPE_TENANT, 1, 0));
    assert_false(risk_limits_known(risk, SCOPE_INSTRUMENT, 99, 0));
    risk_limits_default(SCOPE_INSTRUMENT, &l);
    const uint32_t version = risk_limit_version(risk);
    limit_set_t    set     = {.scope_type = SCOPE_INSTRUMENT, .scope_id = 1, .max_qty = -1};
    assert_int_equal(world_apply_body(w, MSG_LIMIT_SET, &set), ERR_ARG);
    assert_non_null(strstr(err_msg(), "max_qty"));
    set = (limit_set_t){.scope_type = SCOPE_INSTRUMENT, .scope_id = 1, .dup_w_ns = 5}; /* the last field is read */
    assert_int_equal(world_apply_body(w, MSG_LIMIT_SET, &set), ERR_ARG);
    assert_non_null(strstr(err_msg(), "dup_w_ns"));
    set = (limit_set_t){.scope_type = SCOPE_ACCOUNT_VENUE};
    assert_int_equal(world_apply_body(w, MSG_LIMIT_SET, &set), ERR_ARG);
    assert_int_equal(risk_limit_version(risk), version);
    assert_int_equal(buy(w, 9990), RISK_ACCEPTED);
    l.max_qty       = 0;
    l.max_value     = INT64_MAX;
    l.max_spread_bp = 5000;
    world_limits(w, SCOPE_INSTRUMENT, 1, 0, &l);
    assert_int_equal(risk_limit_version(risk), version + 1);
    assert_int_equal(buy(w, 9980), RISK_MAX_ORDER_QTY);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */
static void test_recover_views_show_what_is(void **state)
{
    world_t         *w = *state;
    book_update_t    upd;
    level_t          levels[64];
    trade_t          trade;
    feed_state_t     feed;
    order_record_t   order;
    position_t       position;
    account_record_t acc;
    assert_true(engine_book_record(w->engine, 1, 20, &upd, levels));
    assert_int_equal(upd.flags, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST);
    assert_int_equal(upd.bid_count, 2);
    assert_int_equal(upd.ask_count, 2);
    assert_int_equal(upd.ts_recv_ns, w->now + UTC_AHEAD);
    const int64_t px[] = {9990, 9980, 10010, 10020};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(levels[i].px, px[i]);
        assert_int_equal(levels[i].qty, i % 2 ? 500 : 100);
    }
    assert_true(engine_book_record(w->engine, 1, 1, &upd, levels));
    assert_int_equal(levels[1].px, 10010);
    assert_false(engine_book_record(w->engine, 2, 1, &upd, levels));
    assert_false(engine_trade_record(w->engine, 1, &trade));
    trade = (trade_t){.instrument_id = 1, .px = 10001, .qty = 3};
    assert_int_equal(world_apply_body(w, MSG_TRADE, &trade), ERR_OK);
    trade.px = 0;
    assert_true(engine_trade_record(w->engine, 1, &trade));
    assert_int_equal(trade.px, 10001);
    assert_true(engine_feed_record(w->engine, 1, &feed));
    assert_int_equal(feed.health, FEED_LIVE);
    assert_false(engine_feed_record(w->engine, 5, &feed));
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 10, .corr_lo = 42}), 0);
    deliver(w, world_fill(w, 1, SIDE_BUY, 9990, 4));
    deliver(w, world_fill(w, 1, SIDE_BUY, 9987, 1));
    assert_int_equal(order_rows(engine_orders(w->engine)), 1);
    engine_order_record(w->engine, 0, &order);
    assert_int_equal(order.cum_qty, 5);
    assert_int_equal(order.leaves_qty, 5);
    assert_int_equal(order.avg_px, 9989); /* 9989.4 */
    assert_int_equal(order.ord_status, ORD_STATUS_PARTIALLY_FILLED);
    assert_int_equal(order.corr_lo, 42);
    assert_int_equal(order.event_seq, engine_seq(w->engine));
    assert_true(engine_position_record(w->engine, 1, 1, &position));
    assert_int_equal(position.qty, 5);
    assert_int_equal(position.event_seq, engine_seq(w->engine));
    assert_false(engine_position_record(w->engine, 2, 1, &position));
    assert_true(engine_account_record(w->engine, 1, &acc));
    assert_int_equal(acc.open_orders, 1);
    assert_int_equal(acc.fees, 14);
    assert_int_equal(acc.state_code, 0);
    const struct {
        control_kind_t kind;
        scope_t        scope;
        uint16_t       code;
    } closed[] = {
        {CONTROL_UNRECONCILED, SCOPE_ACCOUNT, RISK_UNRECONCILED}, {CONTROL_RECOVERING, SCOPE_ACCOUNT, RISK_RECOVERING},
        {CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, RISK_REDUCE_ONLY},   {CONTROL_KILL, SCOPE_ACCOUNT, RISK_KILL_ACCOUNT},
        {CONTROL_KILL, SCOPE_TENANT, RISK_KILL_TENANT},           {CONTROL_KILL, SCOPE_GLOBAL, RISK_KILL_GLOBAL}};
    for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++) { /* each is stronger than those before */
        world_control(w, closed[i].kind, closed[i].scope, 1, 1);
        assert_int_equal(code_of(w, 1), closed[i].code);
    }
}

/* ---- the same inputs, another process ---------------------------------------------------------------------------- */
enum { TAPE_MAX = 3000 };

typedef struct taped {
    msg_type_t type;
    now_t      now;
    union {
        control_t     control;
        exec_report_t report;
        order_req_t   req;
        mass_status_t mass;
        boot_t        boot;
        lane_t        lane;
        trade_t       trade;
        struct {
            book_update_t upd;
            level_t       levels[4];
        } book;
    } u;
} taped_t;

static uint64_t rng(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* A lane that is closed opens soon; one that is open closes now and then. */
static bool tape_lane(const world_t *w, taped_t *t, uint64_t r)
{
    lane_t lane;
    engine_lane(w->engine, 1, &lane);
    if (lane.state == LANE_OPEN && r / 16 % 8) {
        return false;
    }
    t->type = MSG_LANE;
    t->u.lane =
        world_lane(w, 1, lane.state == LANE_OPEN ? LANE_CLOSED : LANE_OPEN, r / 256 % 2 ? LANE_KEEP : LANE_CANCEL);
    return true;
}

/* Inputs as a life brings them, in a random order.
 *   open_ids   0: an order that waits for an answer, 0 = none; 1, 2: the newest MASS_STATUS_REQUEST of that account */
static void tape_next(const world_t *w, taped_t *t, uint64_t *seed, uint64_t *rpt, uint64_t *seq,
                      const uint64_t *open_ids)
{
    const uint64_t     r     = rng(seed);
    const uint32_t     epoch = engine_epoch(w->engine);
    const uint64_t     some  = 1 + r / 256 % (*seq + 1);
    risk_venue_state_t venue;
    switch (r % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
        t->type = MSG_BOOK_UPDATE;
        t->u.book.upd =
            (book_update_t){.instrument_id = 1,
                            .flags         = BOOK_FLAG_FIRST | BOOK_FLAG_LAST | (r / 16 % 4 ? 0 : BOOK_FLAG_SNAPSHOT),
                            .rpt_seq       = *rpt += r / 64 % 40 ? 1 : 2,
                            .venue_seq     = *rpt,
                            .ts_recv_ns    = t->now.utc_ns - (int64_t)(r / 4096 % 3) * 300 * MS,
                            .bid_count     = 1,
                            .ask_count     = 1};
        t->u.book.levels[0] = (level_t){9990, 100};
        t->u.book.levels[1] = (level_t){10010, 100};
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        t->type  = MSG_ORDER_REQUEST;
        t->u.req = (order_req_t){.cl_ord_id       = cl_ord_id_make(epoch, WORLD_ORIGIN, ++*seq),
                                 .orig_cl_ord_id  = cl_ord_id_make(epoch, WORLD_ORIGIN, some),
                                 .tenant_id       = 1,
                                 .account_id      = 1 + r / 16 % 2,
                                 .strategy_id     = WORLD_ORIGIN,
                                 .instrument_id   = 1,
                                 .action          = r / 32 % 4 ? ORDER_ACTION_NEW : ORDER_ACTION_CANCEL,
                                 .side            = 1 + r / 128 % 2,
                                 .ord_type        = ORD_TYPE_LIMIT,
                                 .tif             = TIF_GTC,
                                 .px              = 9990 + (int64_t)(r / 256 % 20),
                                 .qty             = 1 + (int64_t)(r / 8192 % 5),
                                 .created_mono_ns = t->now.mono_ns};
        break;
    case 8:
    case 9:
    case 10: {
        static const uint8_t types[] = {EXEC_TYPE_NEW,          EXEC_TYPE_TRADE,       EXEC_TYPE_TRADE,
                                        EXEC_TYPE_CANCELED,     EXEC_TYPE_TIMEOUT,     EXEC_TYPE_ORDER_STATUS,
                                        EXEC_TYPE_ORDER_STATUS, EXEC_TYPE_ORDER_STATUS};
        t->type                      = MSG_EXEC_REPORT;
        t->u.report = (exec_report_t){.cl_ord_id   = cl_ord_id_make(epoch - r / 16 % 2, WORLD_ORIGIN, some),
                                      .exec_id_lo  = 1 + r / 1024 % 500,
                                      .exec_type   = types[r / 32 % 8],
                                      .ord_status  = r / 512 % 3 ? ORD_STATUS_NEW : ORD_STATUS_NONE,
                                      .side        = 1 + r / 128 % 2,
                                      .last_px     = 10000,
                                      .last_qty    = 1,
                                      .cum_qty     = -1,
                                      .leaves_qty  = -1,
                                      .ts_event_ns = t->now.utc_ns - (int64_t)(r / 2048 % 1000)};
        if (t->u.report.exec_type == EXEC_TYPE_ORDER_STATUS && open_ids[0]) {
            t->u.report.cl_ord_id = open_ids[0];
        }
        break;
    }
    case 11: {
        static const uint8_t kinds[] = {MASS_STATUS_POSITION, MASS_STATUS_END, MASS_STATUS_END, MASS_STATUS_FAILED};
        risk_exposure_t      ours    = {0};
        risk_exposure(engine_risk(w->engine), 1 + r / 16 % 2, 1, &ours);
        t->type   = MSG_MASS_STATUS;
        t->u.mass = (mass_status_t){.request_id    = open_ids[1 + r / 16 % 2] - r / 64 % 8 / 7,
                                    .account_id    = 1 + r / 16 % 2,
                                    .venue_id      = 1,
                                    .kind          = kinds[r / 4096 % 4],
                                    .instrument_id = 1,
                                    .qty           = ours.pos + (r / 32768 % 16 == 0)};
        break;
    }
    case 12:
        risk_venue_state(engine_risk(w->engine), 1, &venue);
        if (r / 4096 % 4 && venue.link_up && !venue.ring_full) { /* seldom, and then not for long */
            t->type = MSG_TICK;
            break;
        }
        t->type = MSG_CONTROL;
        if (r / 16384 % 2) {
            t->u.control =
                (control_t){.kind = CONTROL_UNRECONCILED, .scope_type = SCOPE_ACCOUNT, .scope_id = 1 + r / 32768 % 2};
            break;
        }
        t->u.control = (control_t){.kind = r / 16 % 4 && !venue.ring_full ? CONTROL_VENUE_LINK : CONTROL_RING_FULL,
                                   .scope_type = SCOPE_VENUE,
                                   .scope_id   = 1,
                                   .value      = venue.ring_full ? 0 : r / 64 % 4 != 0};
        break;
    case 13:
        t->type   = r / 16 % 16 ? MSG_TICK : MSG_BOOT;
        t->u.boot = (boot_t){.epoch = epoch + 1, .flags = r / 128 % 2};
        *seq      = t->type == MSG_BOOT ? 0 : *seq;
        break;
    case 14:
        if (tape_lane(w, t, r)) {
            break;
        }
        __attribute__((fallthrough));
    default:
        t->type    = MSG_TRADE;
        t->u.trade = (trade_t){.instrument_id = 1 + r / 16 % 2, .px = 10000, .qty = 1, .ts_recv_ns = t->now.utc_ns};
        break;
    }
}

static err_t tape_play(world_t *w, const taped_t *t)
{
    const bool book = t->type == MSG_BOOK_UPDATE;
    w->now          = t->now.mono_ns;
    return world_apply(
        w,
        &(msg_t){.type = t->type, .body = &t->u, .tail = book ? t->u.book.levels : NULL, .tail_count = book ? 2 : 0});
}

static void test_recover_replay_and_snapshot_go_on_as_the_original(void **state)
{
    static taped_t tape[TAPE_MAX];
    world_t       *a    = *state;
    const char    *env  = getenv("HWAL_SEED");
    uint64_t       seed = env ? strtoull(env, NULL, 0) : 20240808, rpt = a->rpt_seq, seq = 0;
    print_message("seed %llu (HWAL_SEED)\n", (unsigned long long)seed);
    seed = seed * 2 + 1;
    world_t anew, moved = {0};
    world_copy(&anew, a); /* stands for the snapshot at the birth of the journal */
    uint64_t  hashes[TAPE_MAX], open_ids[3] = {0};
    int64_t   now                  = a->now;
    const int cut                  = (int)(rng(&seed) % TAPE_MAX);
    uint32_t  kind[MSG_TYPE_COUNT] = {0}, lanes = 0;
    for (int i = 0; i < TAPE_MAX; i++) {
        now += (int64_t)(rng(&seed) % 80) * MS;
        tape[i].now = (now_t){.mono_ns = now, .utc_ns = now + UTC_AHEAD};
        tape_next(a, &tape[i], &seed, &rpt, &seq, open_ids);
        lanes += tape_play(a, &tape[i]) == ERR_OK && tape[i].type == MSG_LANE;
        uint32_t row = order_first(engine_orders(a->engine)); /* the oldest order that is waited for */
        for (open_ids[0] = 0; row != ORDER_NONE; row = order_next(engine_orders(a->engine), row)) {
            const order_t *o = order_at(engine_orders(a->engine), row);
            open_ids[0]      = order_waits(o) ? o->cl_ord_id : open_ids[0];
        }
        for (uint32_t n = 0; n < world_out_count(a, MSG_MASS_STATUS_REQUEST); n++) {
            const mass_status_req_t *req = world_out(a, MSG_MASS_STATUS_REQUEST, n);
            open_ids[req->account_id]    = req->request_id;
        }
        hashes[i] = engine_output_hash(a->engine);
        for (uint32_t type = 1; type < MSG_TYPE_COUNT; type++) {
            kind[type] += world_out_count(a, (msg_type_t)type);
        }
        if (i == cut) {
            world_copy(&moved, a);
        } else if (i > cut) {
            tape_play(&moved, &tape[i]);
            assert_int_equal(engine_output_hash(moved.engine), hashes[i]);
        }
    }
    for (int i = 0; i < TAPE_MAX; i++) {
        tape_play(&anew, &tape[i]);
        assert_int_equal(engine_output_hash(anew.engine), hashes[i]);
    }
    assert_int_equal(engine_state_hash(anew.engine), engine_state_hash(a->engine));
    assert_int_equal(engine_state_hash(moved.engine), engine_state_hash(a->engine));
    assert_true(lanes > 2);
    const msg_type_t must[] = {MSG_ORDER_REQUEST,        MSG_EXEC_REPORT,         MSG_POSITION,        MSG_ALARM,
                               MSG_ORDER_STATUS_REQUEST, MSG_MASS_STATUS_REQUEST, MSG_SNAPSHOT_REQUEST};
    print_message("orders %u reports %u questions %u, %u, %u\n", kind[MSG_ORDER_REQUEST], kind[MSG_EXEC_REPORT],
                  kind[MSG_ORDER_STATUS_REQUEST], kind[MSG_MASS_STATUS_REQUEST], kind[MSG_SNAPSHOT_REQUEST]);
    for (size_t i = 0; i < sizeof must / sizeof must[0]; i++) { /* the tape was worth its playing */
        assert_true(kind[must[i]] > 0);
    }
    world_close(&anew);
    world_close(&moved);
}

/* What is in the state hash: each of these changes nothing but what recovery needs. */
static void test_recover_state_hash_sees_recovery(void **state)
{
    world_t *w = *state;
    world_t  c;
    orders(w, 1);
    link_up(w, 1);
    for (int i = 0; i < 3; i++) {
        const uint64_t id = mass_id(w, 0);
        world_copy(&c, w);
        const mass_status_t other = {.request_id    = id,
                                     .account_id    = 1,
                                     .venue_id      = 1,
                                     .instrument_id = 1,
                                     .qty           = 2,
                                     .kind          = i == 0   ? MASS_STATUS_POSITION
                                                      : i == 1 ? MASS_STATUS_FAILED
                                                               : MASS_STATUS_END};
        const mass_status_t none  = {.request_id = id + 9, .account_id = 1, .venue_id = 1, .kind = other.kind};
        world_apply_body(w, MSG_MASS_STATUS, i == 2 ? &none : &other);
        world_apply_body(&c, MSG_MASS_STATUS, i == 2 ? &other : &none);
        assert_int_equal(engine_seq(w->engine), engine_seq(c.engine));
        assert_int_not_equal(engine_state_hash(w->engine), engine_state_hash(c.engine));
        world_close(&c);
        link_up(w, 1);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BARE(name) cmocka_unit_test_setup_teardown(name, setup_bare, teardown)
    const struct CMUnitTest tests[] = {
        BARE(test_recover_no_request_passes_before_the_first_life),
        BARE(test_recover_account_of_a_running_life_waits_for_nothing),
        T(test_recover_boot_must_rise),
        T(test_recover_boot_closes_what_must_be_asked_about),
        T(test_recover_boot_of_a_process_that_died_knows_its_orders),
        T(test_recover_trades_again_when_all_is_answered),
        T(test_recover_difference_closes_the_account_until_it_is_explained),
        T(test_recover_equality_lifts_no_other_cause),
        T(test_recover_person_may_lift_a_difference),
        T(test_recover_fills_that_were_fetched_explain_the_position),
        T(test_recover_asks_again_what_failed),
        T(test_recover_ignores_answers_to_old_questions),
        T(test_recover_position_in_a_stranger_is_a_difference),
        T(test_recover_asks_for_fills_since_the_last_sure_one),
        T(test_recover_compares_every_minute_without_stopping),
        T(test_recover_waits_for_every_venue_that_was_asked),
        T(test_recover_asks_in_portions_and_once),
        T(test_recover_asks_about_unknown_orders_once_a_second),
        T(test_recover_order_that_never_arrived_is_given_up),
        T(test_recover_order_that_the_venue_lost_is_for_a_person),
        T(test_recover_settles_requests_that_were_lost),
        T(test_recover_full_ring_takes_cancels_only),
        T(test_recover_full_ring_takes_no_questions),
        T(test_recover_broken_book_asks_for_a_snapshot),
        T(test_recover_first_snapshot_has_a_second),
        T(test_recover_backlog_is_as_old_as_it_is),
        T(test_recover_old_quotes_and_trades_are_old),
        T(test_recover_equal_definition_is_nothing),
        BARE(test_recover_accounts_come_in_order_and_once),
        T(test_recover_limits_come_by_record),
        T(test_recover_views_show_what_is),
        T(test_recover_replay_and_snapshot_go_on_as_the_original),
        T(test_recover_state_hash_sees_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
