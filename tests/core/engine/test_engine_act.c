/* What leaves the engine in numbers: kills of each level, mass cancels, positions that it closes, and what it does where a
 * venue knows less.
 *
 * Checked   each kill level cancels what is in its scope and nothing else, newest first, and reports each second until
 *           nothing is open; a mass cancel by each part of its scope, of many orders over many inputs, natively where the
 *           venue has it, and never of an order that came later; FLATTEN closes inside the collar, skips the kill flag and
 *           no other check, goes on until flat; VENUE_DEF; REPLACE without the venue's; an order without an answer is told */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/engine_world.h"

#define Y 2u /* a second instrument, at venue 2 */

static void book_of_y(world_t *w, uint64_t seq)
{
    const level_t       levels[] = {{9990, 100}, {10010, 100}};
    const book_update_t upd      = {.instrument_id = Y,
                                    .flags         = BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST,
                                    .rpt_seq       = seq,
                                    .venue_seq     = seq,
                                    .ts_recv_ns    = w->now + w->utc_ahead,
                                    .bid_count     = 1,
                                    .ask_count     = 1};
    assert_int_equal(world_apply(w, &(msg_t){.type = MSG_BOOK_UPDATE, .body = &upd, .tail = levels, .tail_count = 2}),
                     ERR_OK);
}

static int setup(void **state)
{
    world_t      *w = calloc(1, sizeof *w);
    risk_limits_t l;
    world_bare(w, 3, 2);
    world_control(w, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 1);
    world_control(w, CONTROL_VENUE_LINK, SCOPE_VENUE, 2, 1);
    world_set_up(w);
    world_instrument(w, 2, "Y");
    world_control(w, CONTROL_SESSION, SCOPE_VENUE, 2, SESSION_OPEN);
    risk_limits_default(SCOPE_VENUE, &l);
    l.rate_n = l.msg_n = l.cancel_n = 1000;
    world_limits(w, SCOPE_VENUE, 1, 0, &l);
    world_limits(w, SCOPE_VENUE, 2, 0, &l);
    risk_limits_default(SCOPE_INSTRUMENT, &l);
    l.max_qty   = 1000;
    l.max_value = INT64_C(1000000000);
    world_limits(w, SCOPE_INSTRUMENT, Y, 0, &l);
    for (uint32_t id = 1; id <= 2; id++) {
        risk_limits_default(SCOPE_STRATEGY_INSTRUMENT, &l);
        l.max_long = l.max_short = 100000;
        world_limits(w, SCOPE_STRATEGY_INSTRUMENT, id, Y, &l);
        risk_limits_default(SCOPE_ACCOUNT_INSTRUMENT, &l);
        l.max_qty = l.max_long = l.max_short = 1000;
        l.max_open_orders                    = 400;
        world_limits(w, SCOPE_ACCOUNT_INSTRUMENT, id, 1, &l);
        world_limits(w, SCOPE_ACCOUNT_INSTRUMENT, id, Y, &l);
        risk_limits_default(SCOPE_ACCOUNT, &l);
        l.max_value = l.max_gross = l.max_net = l.max_open_value = l.max_day_loss = l.max_realised_loss =
            l.max_drawdown                                                        = INT64_C(1000000000);
        l.value_w_max                                                             = INT64_C(1000000000000);
        l.concentration_bp                                                        = 10000;
        l.rate_n = l.msg_n = l.cancel_n = l.dup_n = 1000;
        world_limits(w, SCOPE_ACCOUNT, id, 0, &l);
    }
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    book_of_y(w, 1);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

/* ---- what is open -------------------------------------------------------------------------------------------------- */
typedef struct placed {
    uint64_t id;
    uint32_t account, strategy, instrument;
    side_t   side;
} placed_t;

static placed_t place(world_t *w, uint32_t account, uint32_t strategy, uint32_t instrument, side_t side)
{
    const order_req_t req = {.side          = (uint8_t)side,
                             .px            = side == SIDE_BUY ? 9980 : 10020,
                             .qty           = 1,
                             .account_id    = account,
                             .strategy_id   = strategy,
                             .instrument_id = instrument};
    assert_int_equal(world_order(w, req), RISK_ACCEPTED);
    return (placed_t){.id         = cl_ord_id_make(3, strategy, w->id),
                      .account    = account,
                      .strategy   = strategy,
                      .instrument = instrument,
                      .side       = side};
}

enum { PLACED = 8 };

static void place_all(world_t *w, placed_t out[PLACED])
{
    uint32_t n = 0;
    for (uint32_t account = 1; account <= 2; account++) {
        for (uint32_t strategy = 1; strategy <= 2; strategy++) {
            out[n++] = place(w, account, strategy, 1, SIDE_BUY);
            out[n++] = place(w, account, strategy, Y, SIDE_SELL);
        }
    }
}

static uint8_t status_of(const world_t *w, uint64_t id)
{
    const order_table_t *t = engine_orders(w->engine);
    return order_at(t, order_find(t, id))->ord_status;
}

static void report(world_t *w, uint64_t id, exec_type_t type)
{
    const exec_report_t r = {.cl_ord_id = id, .exec_type = (uint8_t)type, .cum_qty = -1, .leaves_qty = -1};
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &r), ERR_OK);
}

static const alarm_t *alarm_first(const world_t *w, alarm_kind_t kind)
{
    for (uint32_t n = 0;; n++) {
        const alarm_t *a = world_out(w, MSG_ALARM, n);
        if (!a || a->kind == kind) {
            return a;
        }
    }
}

/* ---- kills ------------------------------------------------------------------------------------------------------- */
static bool in_kill(scope_t scope, const placed_t *p)
{
    switch (scope) {
    case SCOPE_STRATEGY: return p->strategy == 2;
    case SCOPE_ACCOUNT: return p->account == 2;
    case SCOPE_INSTRUMENT:
    case SCOPE_VENUE: return p->instrument == Y;
    default: return true;
    }
}

static void test_act_each_kill_level_takes_its_scope_and_reports_until_it_is_empty(void **state)
{
    static const struct {
        scope_t     scope;
        uint32_t    id;
        risk_code_t code;
        uint32_t    count;
    } levels[] = {{SCOPE_STRATEGY, 2, RISK_KILL_STRATEGY, 4},     {SCOPE_ACCOUNT, 2, RISK_KILL_ACCOUNT, 4},
                  {SCOPE_INSTRUMENT, Y, RISK_KILL_INSTRUMENT, 4}, {SCOPE_VENUE, 2, RISK_KILL_VENUE, 4},
                  {SCOPE_TENANT, 1, RISK_KILL_TENANT, 8},         {SCOPE_GLOBAL, 0, RISK_KILL_GLOBAL, 8}};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        placed_t orders[PLACED];
        if (i > 0) { /* a fresh world each */
            teardown(state);
            setup(state);
        }
        world_t *w = *state;
        place_all(w, orders);
        world_control(w, CONTROL_KILL, levels[i].scope, levels[i].id, 1);
        const alarm_t *told = alarm_first(w, ALARM_KILL);
        assert_non_null(told); /* with the very input that set it, as are the cancels: newest first */
        assert_int_equal(told->code, levels[i].code);
        assert_int_equal(told->observed, levels[i].count);
        assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), levels[i].count);
        uint64_t newest = 0;
        for (uint32_t k = PLACED; k-- > 0;) {
            const bool hit = in_kill(levels[i].scope, &orders[k]);
            assert_int_equal(status_of(w, orders[k].id), hit ? ORD_STATUS_PENDING_CANCEL : ORD_STATUS_PENDING_NEW);
            newest = hit && newest == 0 ? orders[k].id : newest;
        }
        const order_req_t *first = world_out_first(w, MSG_ORDER_REQUEST);
        assert_int_equal(first->orig_cl_ord_id, newest);
        assert_int_equal(
            world_order(
                w,
                (order_req_t){
                    .side = SIDE_BUY, .px = 9980, .qty = 1, .account_id = 2, .strategy_id = 2, .instrument_id = Y}),
            levels[i].code);
        world_tick(w, NS_PER_S - 1);
        assert_null(alarm_first(w, ALARM_KILL));
        for (uint32_t k = 0, left = levels[i].count; k < PLACED; k++) {
            if (!in_kill(levels[i].scope, &orders[k])) {
                continue;
            }
            if (left % 2) {
                report(w, orders[k].id, EXEC_TYPE_TIMEOUT); /* unknown counts as open, and is cancelled again */
                world_tick(w, NS_PER_S);
                assert_int_equal(alarm_first(w, ALARM_KILL)->observed, left);
            }
            report(w, orders[k].id, EXEC_TYPE_CANCELED);
            left--;
            world_tick(w, NS_PER_S);
            assert_non_null(alarm_first(w, ALARM_KILL));
            assert_int_equal(alarm_first(w, ALARM_KILL)->observed, left);
        }
        world_tick(w, 10 * NS_PER_S);
        assert_null(alarm_first(w, ALARM_KILL)); /* none is open: nothing more to say */
    }
}

static void test_act_kills_end_in_any_order(void **state)
{
    world_t *w = *state;
    placed_t orders[PLACED];
    place_all(w, orders);
    world_control(w, CONTROL_KILL, SCOPE_STRATEGY, 1, 1);
    world_control(w, CONTROL_KILL, SCOPE_ACCOUNT, 2, 1);
    world_control(w, CONTROL_KILL, SCOPE_INSTRUMENT, Y, 1);
    world_control(w, CONTROL_KILL, SCOPE_STRATEGY, 1, 0); /* the last one takes its place */
    for (uint32_t k = 0; k < PLACED; k++) {
        report(w, orders[k].id,
               EXEC_TYPE_CANCEL_REJECT); /* what stays killed is cancelled again, what does not is not */
    }
    world_tick(w, NS_PER_S);
    for (uint32_t k = 0; k < PLACED; k++) {
        const bool still = orders[k].account == 2 || orders[k].instrument == Y;
        assert_int_equal(status_of(w, orders[k].id), still ? ORD_STATUS_PENDING_CANCEL : ORD_STATUS_PENDING_NEW);
    }
    world_control(w, CONTROL_KILL, SCOPE_ACCOUNT, 2, 0);
    world_control(w, CONTROL_KILL, SCOPE_INSTRUMENT, Y, 0);
    world_tick(w, 10 * NS_PER_S);
    assert_null(alarm_first(w, ALARM_KILL));
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
}

/* ---- mass cancels ------------------------------------------------------------------------------------------------ */
static const verdict_t *mass(world_t *w, mass_cancel_t m)
{
    m.request_id = cl_ord_id_make(3, 1, ++w->id);
    assert_int_equal(world_apply_body(w, MSG_MASS_CANCEL, &m), ERR_OK);
    const verdict_t *v = world_out_first(w, MSG_VERDICT);
    assert_non_null(v);
    assert_int_equal(v->cl_ord_id, m.request_id);
    assert_int_equal(v->action, ORDER_ACTION_CANCEL);
    return v;
}

static void test_act_mass_cancel_by_each_part_of_its_scope(void **state)
{
    static const mass_cancel_t scopes[] = {{.account_id = 2},
                                           {.strategy_id = 1},
                                           {.instrument_id = Y},
                                           {.venue_id = 2},
                                           {.side = SIDE_SELL},
                                           {.tenant_id = 1},
                                           {.account_id = 1, .strategy_id = 2, .side = SIDE_BUY},
                                           {.tenant_id = 9}};
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        placed_t             orders[PLACED];
        const mass_cancel_t *m     = &scopes[i];
        uint32_t             count = 0;
        if (i > 0) {
            teardown(state);
            setup(state);
        }
        world_t *w = *state;
        place_all(w, orders);
        const verdict_t *v = mass(w, *m);
        assert_int_equal(v->code, RISK_ACCEPTED);
        for (uint32_t k = 0; k < PLACED; k++) {
            const placed_t *p = &orders[k];
            const bool      hit =
                (!m->account_id || m->account_id == p->account) && (!m->strategy_id || m->strategy_id == p->strategy) &&
                (!m->instrument_id || m->instrument_id == p->instrument) && (!m->venue_id || p->instrument == Y) &&
                (!m->side || m->side == p->side) && m->tenant_id <= 1;
            count += hit;
            assert_int_equal(status_of(w, p->id), hit ? ORD_STATUS_PENDING_CANCEL : ORD_STATUS_PENDING_NEW);
        }
        assert_int_equal(v->observed, count);
        assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), count);
        for (uint32_t k = 0; k < PLACED; k++) { /* refused: it was asked once, and is not asked again */
            report(w, orders[k].id, EXEC_TYPE_CANCEL_REJECT);
        }
        world_tick(w, 2 * NS_PER_S);
        assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    }
}

static void test_act_mass_cancel_of_many_takes_portions_and_no_later_order(void **state)
{
    world_t *w = *state;
    for (uint32_t i = 0; i < 160; i++) {
        place(w, 1 + i % 2, 1, 1, SIDE_BUY);
        w->now += 5 * NS_PER_MS;
        if (i % 50 == 0) {
            world_book(w, 0, 9990, 10010);
        }
    }
    const verdict_t *v     = mass(w, (mass_cancel_t){.instrument_id = 1});
    const uint32_t   first = world_out_count(w, MSG_ORDER_REQUEST);
    uint32_t         sent = first, inputs = 1;
    assert_int_equal(v->observed, 160);
    assert_int_equal(first, ENGINE_SWEEP_MAX);
    world_book(w, 0, 9990, 10010);
    sent += world_out_count(w, MSG_ORDER_REQUEST);
    inputs++;
    const order_req_t late = {.side = SIDE_BUY, .px = 9981, .qty = 1};
    assert_int_equal(world_apply_body(w, MSG_TICK, &(tick_t){.mono_ns = w->now, .utc_ns = w->now}), ERR_OK);
    sent += world_out_count(w, MSG_ORDER_REQUEST);
    inputs++;
    order_req_t later     = late;
    later.cl_ord_id       = cl_ord_id_make(3, 1, ++w->id);
    later.tenant_id       = 1;
    later.account_id      = 1;
    later.strategy_id     = 1;
    later.instrument_id   = 1;
    later.created_mono_ns = w->now;
    later.action          = ORDER_ACTION_NEW;
    later.ord_type        = ORD_TYPE_LIMIT;
    later.tif             = TIF_GTC;
    assert_int_equal(world_apply_body(w, MSG_ORDER_REQUEST, &later), ERR_OK);
    sent += world_out_count(w, MSG_ORDER_REQUEST) - 1;
    inputs++;
    for (; world_out_count(w, MSG_ORDER_REQUEST) > 0; inputs++) {
        world_tick(w, NS_PER_MS);
        sent += world_out_count(w, MSG_ORDER_REQUEST);
    }
    assert_int_equal(sent, 160);
    assert_int_equal(status_of(w, later.cl_ord_id), ORD_STATUS_PENDING_NEW);
    printf("mass cancel of 160 orders: the first %u with its own input, all within %u inputs\n", first, inputs - 1);
}

static void test_act_mass_cancel_says_what_it_cannot(void **state)
{
    world_t            *w     = *state;
    const mass_cancel_t bad[] = {{.request_id = 0},
                                 {.request_id = 1, .side = 3},
                                 {.request_id = 1, .reserved = 1},
                                 {.request_id = 1, .account_id = 3},
                                 {.request_id = 1, .instrument_id = 3},
                                 {.request_id = 1, .venue_id = 60000},
                                 {.request_id = 1, .strategy_id = 3}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(world_apply_body(w, MSG_MASS_CANCEL, &bad[i]), i < 3 ? ERR_ARG : ERR_NOT_FOUND);
        assert_int_equal(world_out_count(w, MSG_VERDICT), 0);
    }
    for (uint32_t i = 0; i < 160; i++) { /* each has work left after its own input */
        place(w, 1 + i % 2, 1, 1, SIDE_BUY);
        w->now += 5 * NS_PER_MS;
        if (i % 50 == 0) {
            world_book(w, 0, 9990, 10010);
        }
    }
    uint32_t refused = 0;
    for (uint32_t i = 0; i < 8; i++) {
        const verdict_t *v = mass(w, (mass_cancel_t){.side = SIDE_SELL});
        refused += v->code != RISK_ACCEPTED;
    }
    assert_int_equal(refused, 0); /* nothing to do is done at once */
}

/* ---- venues ------------------------------------------------------------------------------------------------------ */
static void venue(world_t *w, uint16_t id, uint32_t tifs, uint32_t features)
{
    const venue_def_t def = {.ord_types = 1u << ORD_TYPE_LIMIT, .tifs = tifs, .features = features, .venue_id = id};
    assert_int_equal(world_apply_body(w, MSG_VENUE_DEF, &def), ERR_OK);
}

#define TIFS_ALL (1u << TIF_DAY | 1u << TIF_GTC | 1u << TIF_IOC | 1u << TIF_FOK)

static void test_act_native_mass_cancel_is_one_message_a_pair(void **state)
{
    world_t *w = *state;
    placed_t orders[PLACED];
    venue(w, 2, TIFS_ALL, VENUE_REPLACE | VENUE_MASS_CANCEL);
    place_all(w, orders);
    world_control(w, CONTROL_KILL, SCOPE_GLOBAL, 0, 1); /* 4 at venue 1 one by one, 2 accounts at venue 2 at once */
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 4);
    assert_int_equal(world_out_count(w, MSG_MASS_CANCEL), 2);
    const mass_cancel_t *out = world_out_first(w, MSG_MASS_CANCEL);
    assert_int_equal(out->account_id, 2);
    assert_int_equal(out->instrument_id, Y);
    assert_int_equal(out->venue_id, 2);
    assert_int_equal(out->strategy_id, 0);
    for (uint32_t k = 0; k < PLACED; k++) {
        assert_int_equal(status_of(w, orders[k].id), ORD_STATUS_PENDING_CANCEL);
    }
    teardown(state);
    setup(state);
    w = *state;
    venue(w, 2, TIFS_ALL, VENUE_REPLACE | VENUE_MASS_CANCEL);
    place_all(w, orders);
    assert_int_equal(mass(w, (mass_cancel_t){.strategy_id = 1, .venue_id = 2})->observed, 2);
    assert_int_equal(world_out_count(w, MSG_MASS_CANCEL), 0); /* a strategy's orders are not all of a pair */
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 2);
    assert_int_equal(mass(w, (mass_cancel_t){.account_id = 1, .venue_id = 2})->observed, 2);
    assert_int_equal(world_out_count(w, MSG_MASS_CANCEL), 1);
}

static void test_act_venue_def_is_judged(void **state)
{
    world_t          *w     = *state;
    const venue_def_t good  = {.ord_types = 1u << ORD_TYPE_LIMIT, .tifs = TIFS_ALL, .venue_id = 1};
    venue_def_t       bad[] = {good, good, good, good, good, good, good};
    bad[0].venue_id         = 0;
    bad[1].venue_id         = 64;
    bad[2].ord_types        = 1u << ORD_TYPE_MARKET;
    bad[3].tifs             = 1u << TIF_IOC;
    bad[4].features         = 128;
    bad[5].tifs |= 1u << 6;
    bad[6].ord_types |= 1u << ORD_TYPE_COUNT;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(world_apply_body(w, MSG_VENUE_DEF, &bad[i]), ERR_ARG);
    }
    const order_req_t post = {.side = SIDE_BUY, .px = 9980, .qty = 1, .exec_inst = EXEC_INST_POST_ONLY};
    assert_int_equal(world_order(w, post), RISK_ACCEPTED); /* taken for granted of who has said nothing */
    assert_int_equal(world_apply_body(w, MSG_VENUE_DEF, &good), ERR_OK);
    assert_int_equal(world_order(w, post), RISK_ORDER_TYPE_NOT_PERMITTED);
    venue(w, 1, 1u << TIF_DAY, 0);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9980, .qty = 1, .tif = TIF_IOC}),
                     RISK_ORDER_TYPE_NOT_PERMITTED);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9980, .qty = 1}),
                     RISK_ORDER_TYPE_NOT_PERMITTED);
    assert_int_equal(
        world_order(w, (order_req_t){.side = SIDE_BUY, .qty = 1, .ord_type = ORD_TYPE_MARKET, .tif = TIF_FOK}),
        RISK_ORDER_TYPE_NOT_PERMITTED);
    assert_int_equal(
        world_order(w, (order_req_t){.side = SIDE_BUY, .qty = 1, .ord_type = ORD_TYPE_MARKET, .tif = TIF_IOC}), 0);
    assert_int_equal(((const order_req_t *)world_out_first(w, MSG_ORDER_REQUEST))->tif, TIF_DAY);
}

static uint16_t replace(world_t *w, uint64_t orig, int64_t px, int64_t qty)
{
    return world_order(
        w,
        (order_req_t){.action = ORDER_ACTION_REPLACE, .orig_cl_ord_id = orig, .side = SIDE_BUY, .px = px, .qty = qty});
}

static void test_act_replace_without_the_venues_is_cancel_and_new(void **state)
{
    world_t *w = *state;
    venue(w, 1, TIFS_ALL, 0);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9980, .qty = 10}), 0);
    const uint64_t old = cl_ord_id_make(3, 1, w->id);
    report(w, old, EXEC_TYPE_NEW);
    assert_int_equal(replace(w, old, 9985, 20), 0);
    const uint64_t     id  = cl_ord_id_make(3, 1, w->id);
    const order_req_t *out = world_out_first(w, MSG_ORDER_REQUEST);
    assert_int_equal(out->action, ORDER_ACTION_CANCEL);
    assert_int_equal(out->orig_cl_ord_id, old);
    assert_int_equal(status_of(w, old), ORD_STATUS_PENDING_CANCEL);
    exec_report_t part = {.cl_ord_id  = old,
                          .exec_id_lo = 77,
                          .exec_type  = EXEC_TYPE_TRADE,
                          .side       = SIDE_BUY,
                          .last_qty   = 3,
                          .last_px    = 9980,
                          .cum_qty    = 3};
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &part), ERR_OK);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    report(w, old, EXEC_TYPE_CANCELED);
    out = world_out_first(w, MSG_ORDER_REQUEST);
    assert_non_null(out);
    assert_int_equal(out->action, ORDER_ACTION_NEW);
    assert_int_equal(out->cl_ord_id, id); /* the id of the REPLACE, and only what is not filled */
    assert_int_equal(out->qty, 17);
    assert_int_equal(out->px, 9985);
    assert_int_equal(world_out_count(w, MSG_VERDICT), 0); /* that was told */
    /* the venue refuses the cancel: then nothing is replaced */
    assert_int_equal(replace(w, id, 9986, 17), 0);
    report(w, id, EXEC_TYPE_CANCEL_REJECT);
    assert_int_equal(world_out_count(w, MSG_EXEC_REPORT), 2);
    const exec_report_t *off = world_out(w, MSG_EXEC_REPORT, 0);
    off                      = off->exec_type == EXEC_TYPE_REPLACE_REJECT ? off : world_out(w, MSG_EXEC_REPORT, 1);
    assert_int_equal(off->exec_type, EXEC_TYPE_REPLACE_REJECT);
    assert_int_equal(off->cl_ord_id, id);
    assert_int_equal(status_of(w, id), ORD_STATUS_PENDING_NEW);
    /* killed meanwhile, or filled: it does not leave, and that is told under its id */
    assert_int_equal(replace(w, id, 9986, 17), 0);
    const uint64_t third = cl_ord_id_make(3, 1, w->id);
    world_control(w, CONTROL_KILL, SCOPE_ACCOUNT, 1, 1);
    report(w, id, EXEC_TYPE_CANCELED);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    const exec_report_t *denied = world_out(w, MSG_EXEC_REPORT, 1);
    denied                      = denied && denied->cl_ord_id == third ? denied : world_out(w, MSG_EXEC_REPORT, 0);
    assert_int_equal(denied->cl_ord_id, third);
    assert_int_equal(denied->exec_type, EXEC_TYPE_REJECTED);
    assert_int_equal(denied->flags, EXEC_DENIED);
    assert_int_equal(denied->reject_code, RISK_KILL_ACCOUNT);
}

/* ---- positions that the engine closes ------------------------------------------------------------------------------ */
static void buy(world_t *w, int64_t qty)
{
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 10010, .qty = qty, .tif = TIF_IOC}), 0);
    exec_report_t f = world_fill(w, w->id, SIDE_BUY, 10010, qty);
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
}

static void sold(world_t *w, uint64_t id, int64_t qty)
{
    const exec_report_t f = {.cl_ord_id     = id,
                             .exec_id_lo    = ++w->exec,
                             .instrument_id = 1,
                             .exec_type     = EXEC_TYPE_TRADE,
                             .side          = SIDE_SELL,
                             .last_qty      = qty,
                             .last_px       = 9990,
                             .cum_qty       = -1};
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    report(w, id, EXEC_TYPE_CANCELED); /* the rest of an IOC; nothing when it is filled */
}

static void test_act_flatten_closes_until_flat_and_skips_the_kill_flag_only(void **state)
{
    world_t      *w = *state;
    risk_limits_t l;
    buy(w, 90);
    world_control(w, CONTROL_KILL, SCOPE_ACCOUNT, 1, 1);
    world_control(w, CONTROL_FLATTEN, SCOPE_ACCOUNT, 1, 1);
    const order_req_t *out = world_out_first(w, MSG_ORDER_REQUEST);
    assert_non_null(out);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1);
    assert_int_equal(out->side, SIDE_SELL);
    assert_int_equal(out->qty, 90);
    assert_int_equal(out->ord_type, ORD_TYPE_LIMIT);
    assert_int_equal(out->tif, TIF_IOC);
    assert_int_equal(out->exec_inst, EXEC_INST_REDUCE_ONLY);
    assert_int_equal(out->px, 9700); /* the collar: 3 % of 10000 */
    assert_int_equal(cl_ord_id_origin(out->cl_ord_id), 0);
    const uint64_t first = out->cl_ord_id;
    world_tick(w, NS_PER_S); /* it is still under way: no second one, and the kill does not take it */
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    sold(w, first, 50);
    world_book(w, 0, 9990, 10010);
    /* the largest order is smaller now: as much as passes */
    risk_limits_default(SCOPE_INSTRUMENT, &l);
    l.max_qty   = 25;
    l.max_value = INT64_C(1000000000);
    world_limits(w, SCOPE_INSTRUMENT, 1, 0, &l);
    world_tick(w, NS_PER_S);
    out = world_out_first(w, MSG_ORDER_REQUEST);
    assert_null(out); /* the book is a second old: no check is skipped, and it is said */
    assert_int_equal(alarm_first(w, ALARM_KILL)->code, RISK_STALE_MARKET_DATA);
    assert_int_equal(alarm_first(w, ALARM_KILL)->observed, 40);
    w->now += NS_PER_S;
    world_book(w, 0, 9990, 10010);
    world_tick(w, 0);
    out = world_out_first(w, MSG_ORDER_REQUEST);
    assert_non_null(out);
    assert_int_equal(out->qty, 25);
    sold(w, out->cl_ord_id, 25);
    w->now += NS_PER_S;
    world_book(w, 0, 9990, 10010);
    world_tick(w, 0);
    out = world_out_first(w, MSG_ORDER_REQUEST);
    assert_int_equal(out->qty, 15);
    sold(w, out->cl_ord_id, 15);
    w->now += NS_PER_S;
    world_book(w, 0, 9990, 10010);
    world_tick(w, 0);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    world_control(w, CONTROL_KILL, SCOPE_ACCOUNT, 1, 0); /* flat: it is over, and the next position stays */
    buy(w, 5);
    world_tick(w, 5 * NS_PER_S);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
}

static void opened(world_t *w, uint32_t account, side_t side, int64_t qty)
{
    assert_int_equal(world_order(w, (order_req_t){.side            = (uint8_t)side,
                                                  .px              = side == SIDE_BUY ? 10010 : 9990,
                                                  .qty             = qty,
                                                  .tif             = TIF_IOC,
                                                  .account_id      = account,
                                                  .position_effect = POSITION_EFFECT_OPEN}),
                     0);
    exec_report_t f = world_fill(w, w->id, side, 10000, qty);
    f.account_id    = account;
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
}

static void test_act_flatten_closes_both_sides_of_an_account_that_hedges(void **state)
{
    world_t             w[1];
    risk_limits_t       l;
    const account_def_t def = {.account_id = 3,
                               .tenant_id  = 1,
                               .ccy        = ccy_pack("USD"),
                               .initial    = 10000000000,
                               .money_exp  = 2,
                               .flags      = ACCOUNT_MARGIN | ACCOUNT_HEDGING};
    (void)state;
    world_bare(w, 3, 3);
    w->accounts = 2;
    world_control(w, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 1);
    world_set_up(w);
    assert_int_equal(world_apply_body(w, MSG_ACCOUNT_DEF, &def), ERR_OK);
    w->accounts = 3;
    risk_limits_default(SCOPE_ACCOUNT, &l);
    l.max_value = l.max_gross = l.max_net = l.max_open_value = l.max_day_loss = l.max_realised_loss = l.max_drawdown =
        INT64_C(1000000000);
    l.value_w_max      = INT64_C(1000000000000);
    l.concentration_bp = 10000;
    world_limits(w, SCOPE_ACCOUNT, 3, 0, &l);
    risk_limits_default(SCOPE_ACCOUNT_INSTRUMENT, &l);
    l.max_qty = l.max_long = l.max_short = 1000;
    world_limits(w, SCOPE_ACCOUNT_INSTRUMENT, 3, 1, &l);
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    opened(w, 3, SIDE_BUY, 5);
    opened(w, 3, SIDE_SELL, 5);
    opened(w, 3, SIDE_SELL, 2);
    world_control(w, CONTROL_FLATTEN, SCOPE_ACCOUNT, 3, 1);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 1); /* the other would trade with it */
    assert_null(alarm_first(w, ALARM_KILL));
    const order_req_t *out = world_out_first(w, MSG_ORDER_REQUEST);
    assert_int_equal(out->side, SIDE_SELL);
    assert_int_equal(out->qty, 5);
    assert_int_equal(out->position_effect, POSITION_EFFECT_CLOSE);
    const exec_report_t f = {.cl_ord_id     = out->cl_ord_id,
                             .exec_id_lo    = ++w->exec,
                             .instrument_id = 1,
                             .account_id    = 3,
                             .exec_type     = EXEC_TYPE_TRADE,
                             .side          = SIDE_SELL,
                             .last_qty      = 5,
                             .last_px       = 9990,
                             .cum_qty       = -1};
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    w->now += NS_PER_S;
    world_book(w, 0, 9990, 10010);
    world_tick(w, 0);
    out = world_out_first(w, MSG_ORDER_REQUEST);
    assert_non_null(out);
    assert_int_equal(out->side, SIDE_BUY);
    assert_int_equal(out->qty, 7);
    assert_int_equal(out->position_effect, POSITION_EFFECT_CLOSE);
    world_close(w);
}

static void test_act_flatten_of_a_strategy_takes_its_share_and_ends_when_told(void **state)
{
    world_t *w = *state;
    buy(w, 30); /* strategy 1 */
    assert_int_equal(
        world_order(w, (order_req_t){.side = SIDE_BUY, .px = 10010, .qty = 50, .tif = TIF_IOC, .strategy_id = 2}), 0);
    const exec_report_t f = {.cl_ord_id     = cl_ord_id_make(3, 2, w->id),
                             .exec_id_lo    = ++w->exec,
                             .instrument_id = 1,
                             .exec_type     = EXEC_TYPE_TRADE,
                             .side          = SIDE_BUY,
                             .last_qty      = 50,
                             .last_px       = 10010,
                             .cum_qty       = -1};
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    world_control(w, CONTROL_FLATTEN, SCOPE_STRATEGY, 1, 1);
    const order_req_t *out = world_out_first(w, MSG_ORDER_REQUEST);
    assert_non_null(out);
    assert_int_equal(out->qty, 30);
    assert_int_equal(out->strategy_id, 1);
    sold(w, out->cl_ord_id, 10);
    world_control(w, CONTROL_FLATTEN, SCOPE_STRATEGY, 1, 0);
    w->now += NS_PER_S;
    world_book(w, 0, 9990, 10010);
    world_tick(w, 0);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
    static const control_t bad[] = {
        {.kind = CONTROL_FLATTEN, .scope_type = SCOPE_ACCOUNT, .scope_id = 3, .value = 1},
        {.kind = CONTROL_FLATTEN, .scope_type = SCOPE_NONE, .value = 1},
        {.kind = CONTROL_FLATTEN, .scope_type = SCOPE_TENANT, .scope_id = 2, .value = 1},
        {.kind = CONTROL_FLATTEN, .scope_type = SCOPE_GLOBAL, .value = 2},
        {.kind = CONTROL_FLATTEN, .scope_type = SCOPE_INSTRUMENT, .scope_id = 3, .value = 1},
        {.kind = CONTROL_FLATTEN, .scope_type = SCOPE_STRATEGY, .scope_id = 0, .value = 1},
        {.kind = CONTROL_FLATTEN, .scope_type = SCOPE_VENUE, .scope_id = 64, .value = 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(world_apply_body(w, MSG_CONTROL, &bad[i]), ERR_ARG);
    }
}

/* ---- silence ----------------------------------------------------------------------------------------------------- */
static void test_act_an_order_without_an_answer_is_told(void **state)
{
    world_t       *w = *state;
    const placed_t p = place(w, 1, 1, 1, SIDE_BUY);
    world_tick(w, 999 * NS_PER_S);
    assert_null(alarm_first(w, ALARM_ORDER_AGE));
    world_tick(w, 2 * NS_PER_S);
    const alarm_t *told = alarm_first(w, ALARM_ORDER_AGE);
    assert_non_null(told);
    assert_int_equal(told->cl_ord_id, p.id);
    assert_int_equal(told->limit, 1000 * NS_PER_S);
    assert_true(told->observed > told->limit);
    world_tick(w, 5000 * NS_PER_S);
    assert_null(alarm_first(w, ALARM_ORDER_AGE));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_act_each_kill_level_takes_its_scope_and_reports_until_it_is_empty),
        TEST(test_act_kills_end_in_any_order),
        TEST(test_act_mass_cancel_by_each_part_of_its_scope),
        TEST(test_act_mass_cancel_of_many_takes_portions_and_no_later_order),
        TEST(test_act_mass_cancel_says_what_it_cannot),
        TEST(test_act_native_mass_cancel_is_one_message_a_pair),
        TEST(test_act_venue_def_is_judged),
        TEST(test_act_replace_without_the_venues_is_cancel_and_new),
        TEST(test_act_flatten_closes_until_flat_and_skips_the_kill_flag_only),
        TEST(test_act_flatten_closes_both_sides_of_an_account_that_hedges),
        TEST(test_act_flatten_of_a_strategy_takes_its_share_and_ends_when_told),
        TEST(test_act_an_order_without_an_answer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
