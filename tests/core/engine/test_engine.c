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

#include "core/engine/engine.h"
#include "core/types/ids.h"

#define MS NS_PER_MS

typedef struct world {
    void        *arena;
    size_t       bytes;
    engine_t    *engine;
    void        *handle;
    engine_out_t out;
    int64_t      now;
    uint64_t     rpt_seq, id, exec;
} world_t;

static err_t apply(world_t *w, const msg_t *msg)
{
    const err_t err = engine_apply(w->engine, (now_t){.mono_ns = w->now, .utc_ns = w->now}, msg, &w->out);
    int64_t     cash, pnl;
    for (uint32_t k = 0; portfolio_equity_cash_side(engine_portfolio(w->engine), 1, k, &cash); k++) {
        assert_true(portfolio_equity_pnl_side(engine_portfolio(w->engine), 1, k, &pnl));
        assert_int_equal(cash, pnl);
    }
    return err;
}

static err_t apply_body(world_t *w, msg_type_t type, const void *body)
{
    return apply(w, &(msg_t){.type = type, .body = body});
}

static void book(world_t *w, uint32_t flags, int64_t bid, int64_t ask)
{
    const level_t       levels[] = {{bid, 100}, {bid - 10, 500}, {ask, 100}, {ask + 10, 500}};
    const book_update_t upd      = {.instrument_id = 1,
                                    .flags         = flags | BOOK_FLAG_FIRST | BOOK_FLAG_LAST,
                                    .rpt_seq       = ++w->rpt_seq,
                                    .venue_seq     = w->rpt_seq,
                                    .bid_count     = 2,
                                    .ask_count     = 2};
    assert_int_equal(apply(w, &(msg_t){.type = MSG_BOOK_UPDATE, .body = &upd, .tail = levels, .tail_count = 4}),
                     ERR_OK);
}

static void control(world_t *w, control_kind_t kind, scope_t scope, uint32_t id, int64_t value)
{
    const control_t c = {.kind = (uint8_t)kind, .scope_type = (uint8_t)scope, .scope_id = id, .value = value};
    assert_int_equal(apply_body(w, MSG_CONTROL, &c), ERR_OK);
}

static void limits(world_t *w)
{
    risk_t       *risk = engine_risk(w->engine);
    risk_limits_t l;
    risk_limits_default(SCOPE_ACCOUNT, &l);
    l.max_value = l.max_gross = l.max_net = l.max_open_value = l.max_day_loss = l.max_realised_loss = l.max_drawdown =
        INT64_C(1000000000);
    l.value_w_max      = INT64_C(1000000000000);
    l.concentration_bp = 10000;
    assert_int_equal(risk_limits_set(risk, SCOPE_ACCOUNT, 1, 0, &l), ERR_OK);
    risk_limits_default(SCOPE_VENUE, &l);
    assert_int_equal(risk_limits_set(risk, SCOPE_VENUE, 1, 0, &l), ERR_OK);
    risk_limits_default(SCOPE_INSTRUMENT, &l);
    l.max_qty   = 1000;
    l.max_value = INT64_C(1000000000);
    assert_int_equal(risk_limits_set(risk, SCOPE_INSTRUMENT, 1, 0, &l), ERR_OK);
    risk_limits_default(SCOPE_ACCOUNT_INSTRUMENT, &l);
    l.max_qty = l.max_long = l.max_short = 1000;
    assert_int_equal(risk_limits_set(risk, SCOPE_ACCOUNT_INSTRUMENT, 1, 1, &l), ERR_OK);
}

static int setup(void **state)
{
    world_t     *w   = calloc(1, sizeof *w);
    engine_cfg_t cfg = {.epoch           = 3,
                        .tenant_id       = 1,
                        .instruments_max = 2,
                        .accounts_max    = 1,
                        .orders_max      = 1024,
                        .fills_max       = 1024,
                        .stale_ns        = NS_PER_S,
                        .book            = {.window_ticks = 64, .far_slots = 64}};
    risk_cfg_default(&cfg.risk);
    w->bytes = engine_footprint(&cfg);
    assert_true(w->bytes > 0);
    w->arena  = aligned_alloc(engine_align(), (w->bytes + engine_align() - 1) / engine_align() * engine_align());
    w->handle = malloc(engine_handle_size());
    assert_non_null(engine_new(w->arena, &cfg));
    w->engine = engine_join(w->handle, w->arena);
    assert_non_null(w->engine);
    w->out                      = (engine_out_t){.buf = malloc(ENGINE_OUT_MAX), .cap = ENGINE_OUT_MAX};
    w->now                      = NS_PER_S;
    const instrument_def_t def  = {.venue_id   = 1,
                                   .kind       = INSTRUMENT_SPOT,
                                   .px_exp     = 0,
                                   .qty_exp    = 0,
                                   .money_exp  = 2,
                                   .mult       = 1,
                                   .lot        = 1,
                                   .min_qty    = 1,
                                   .settle_ccy = ccy_pack("USD")};
    const tick_band_t      band = {.tick = 1};
    assert_int_equal(engine_account_open(w->engine, 1, ccy_pack("USD"), 2, 100000000), ERR_OK);
    assert_int_equal(
        apply(w, &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def, .tail = &band, .tail_count = 1, .text = "X"}),
        ERR_OK);
    limits(w);
    control(w, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 1);
    control(w, CONTROL_CLOCK, SCOPE_GLOBAL, 0, 1);
    control(w, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 1);
    control(w, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_OPEN);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_t *w = *state;
    free(w->arena);
    free(w->handle);
    free(w->out.buf);
    free(w);
    return 0;
}

static const void *out_first(const world_t *w, msg_type_t type)
{
    uint32_t         pos = 0;
    const out_rec_t *rec;
    while ((rec = engine_out_next(&w->out, &pos))) {
        if (rec->type == type) {
            return rec + 1;
        }
    }
    return NULL;
}

static uint32_t out_count(const world_t *w, msg_type_t type)
{
    uint32_t         pos = 0, n = 0;
    const out_rec_t *rec;
    while ((rec = engine_out_next(&w->out, &pos))) {
        n += rec->type == type;
    }
    return n;
}

static uint16_t order(world_t *w, order_req_t req)
{
    req.cl_ord_id = cl_ord_id_make(3, 200, ++w->id);
    req.tenant_id = req.account_id = req.instrument_id = 1;
    req.created_mono_ns                                = w->now;
    req.action                                         = req.action ? req.action : ORDER_ACTION_NEW;
    req.ord_type                                       = req.ord_type ? req.ord_type : ORD_TYPE_LIMIT;
    req.tif                                            = req.tif ? req.tif : TIF_GTC;
    assert_int_equal(apply_body(w, MSG_ORDER_REQUEST, &req), ERR_OK);
    const verdict_t *v = out_first(w, MSG_VERDICT);
    assert_non_null(v);
    assert_int_equal(v->cl_ord_id, req.cl_ord_id);
    assert_int_equal(out_count(w, MSG_ORDER_REQUEST), v->code == 0);
    return v->code;
}

static exec_report_t report(world_t *w, uint64_t seq, exec_type_t type)
{
    return (exec_report_t){.cl_ord_id     = cl_ord_id_make(3, 200, seq),
                           .exec_id_lo    = ++w->exec,
                           .order_id_lo   = seq,
                           .account_id    = 1,
                           .instrument_id = 1,
                           .exec_type     = (uint8_t)type,
                           .cum_qty       = -1,
                           .leaves_qty    = -1};
}

static exec_report_t fill(world_t *w, uint64_t seq, side_t side, int64_t px, int64_t qty)
{
    exec_report_t r = report(w, seq, EXEC_TYPE_TRADE);
    r.side          = (uint8_t)side;
    r.last_px       = px;
    r.last_qty      = qty;
    r.fee           = 7;
    return r;
}

static void test_engine_prices_no_order_on_a_book_that_is_not_live(void **state)
{
    world_t *w = *state;
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_NO_REFERENCE_PRICE);
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_ACCEPTED);
    const feed_state_t broken = {.instrument_id = 1, .health = FEED_BROKEN, .reason = FEED_REASON_GAP};
    assert_int_equal(apply_body(w, MSG_FEED_STATE, &broken), ERR_OK);
    const alarm_t *alarm = out_first(w, MSG_ALARM);
    assert_non_null(alarm);
    assert_int_equal(alarm->kind, ALARM_FEED);
    assert_int_equal(alarm->code, FEED_REASON_GAP);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9991, .qty = 1}), RISK_FEED_GAP);
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9991, .qty = 1}), RISK_ACCEPTED);
}

static void test_engine_breaks_the_book_when_a_message_is_missing(void **state)
{
    world_t *w = *state;
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    w->rpt_seq++; /* one never arrived */
    book(w, 0, 9991, 10011);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_BROKEN);
    assert_int_equal(book_reason(engine_book(w->engine, 1)), FEED_REASON_LOST);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_FEED_GAP);
}

static void test_engine_marks_a_silent_book_stale(void **state)
{
    world_t *w = *state;
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    w->now += NS_PER_S;
    const tick_t at = {.mono_ns = w->now};
    assert_int_equal(apply_body(w, MSG_TICK, &at), ERR_OK);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_LIVE); /* exactly at the limit */
    w->now += 1;
    assert_int_equal(apply_body(w, MSG_TICK, &at), ERR_OK);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_STALE);
    book(w, 0, 9990, 10010);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_LIVE);
}

static void test_engine_books_a_fill_once(void **state)
{
    world_t   *w = *state;
    position_t position;
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 10}), 0);
    const exec_report_t f = fill(w, 1, SIDE_BUY, 9990, 4);
    assert_int_equal(apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    assert_int_equal(out_count(w, MSG_POSITION), 1);
    const exec_report_t *told = out_first(w, MSG_EXEC_REPORT);
    assert_int_equal(told->cum_qty, 4);
    assert_int_equal(told->leaves_qty, 6);
    assert_int_equal(apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    assert_int_equal(out_count(w, MSG_POSITION), 0);
    assert_int_equal(out_count(w, MSG_EXEC_REPORT), 0);
    assert_true(portfolio_position(engine_portfolio(w->engine), 1, 1, &position));
    assert_int_equal(position.qty, 4);
    assert_int_equal(position.fees, 7);
    /* undone */
    exec_report_t bust = report(w, 1, EXEC_TYPE_TRADE_CANCEL);
    bust.exec_id_lo    = f.exec_id_lo;
    assert_int_equal(apply_body(w, MSG_EXEC_REPORT, &bust), ERR_OK);
    assert_true(portfolio_position(engine_portfolio(w->engine), 1, 1, &position));
    assert_int_equal(position.qty, 0);
    assert_int_equal(position.fees, 0);
}

static void test_engine_kill_stops_new_orders_and_cancels_open_ones(void **state)
{
    world_t *w = *state;
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9980 + (int64_t)i, .qty = 1}), 0);
    }
    control(w, CONTROL_KILL, SCOPE_ACCOUNT, 1, 1);
    assert_int_equal(out_count(w, MSG_ORDER_REQUEST), 3);
    const order_req_t *first = out_first(w, MSG_ORDER_REQUEST);
    assert_int_equal(first->action, ORDER_ACTION_CANCEL);
    assert_int_equal(first->orig_cl_ord_id, cl_ord_id_make(3, 200, 3)); /* newest first */
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_KILL_ACCOUNT);
    book(w, 0, 9990, 10010);
    assert_int_equal(out_count(w, MSG_ORDER_REQUEST), 0); /* each is cancelled once */
    control(w, CONTROL_KILL, SCOPE_ACCOUNT, 1, 0);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9970, .qty = 1}), 0);
}

static void test_engine_kill_reaches_all_orders_over_several_inputs(void **state)
{
    world_t *w      = *state;
    uint32_t opened = 0, cancels = 0;
    for (int64_t i = 0; i < 50; i++) { /* 50 open orders of an instrument is the limit */
        book(w, i ? 0 : BOOK_FLAG_SNAPSHOT, 9990, 10010);
        w->now += 20 * MS;
        opened += order(w, (order_req_t){.side = SIDE_BUY, .px = 9900 + i, .qty = 1}) == 0;
    }
    assert_int_equal(opened, 50);
    control(w, CONTROL_KILL, SCOPE_GLOBAL, 0, 1);
    for (int i = 0; i < 4; i++) {
        cancels += out_count(w, MSG_ORDER_REQUEST);
        book(w, 0, 9990, 10010);
    }
    assert_int_equal(cancels, 50);
}

static void test_engine_market_order_leaves_as_limit_at_the_collar(void **state)
{
    world_t *w = *state;
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .qty = 1, .ord_type = ORD_TYPE_MARKET}), 0);
    const order_req_t *sent = out_first(w, MSG_ORDER_REQUEST);
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
    assert_int_equal(apply_body(w, MSG_TRADE, &nowhere), ERR_NOT_FOUND);
    assert_int_equal(apply_body(w, MSG_VERDICT, &not_input), ERR_ARG);
    assert_int_equal(
        apply(w, &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &again, .tail = &band, .tail_count = 1, .text = "X"}),
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
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(apply(w, &(msg_t){.type = MSG_BOOK_UPDATE, .body = &lying, .tail = &one, .tail_count = 1}),
                     ERR_OK);
    assert_int_equal(book_health(engine_book(w->engine, 1)), FEED_BROKEN);
    assert_int_equal(book_reason(engine_book(w->engine, 1)), FEED_REASON_GARBLED); /* next in turn, and not believed */
    int64_t bid_px, bid_qty, ask_px, ask_qty;
    book_best(engine_book(w->engine, 1), &bid_px, &bid_qty, &ask_px, &ask_qty);
    assert_int_equal(bid_qty, 100); /* not one of its levels was applied */
    assert_int_equal(book_level_count(engine_book(w->engine, 1), SIDE_SELL), 2);
    assert_int_equal(apply(w, &(msg_t){.type = MSG_BOOK_UPDATE, .body = &lying}), ERR_OK);
    const instrument_def_t def = {.venue_id = 1, .kind = INSTRUMENT_SPOT};
    assert_int_equal(apply(w, &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def}), ERR_ARG);
    assert_int_equal(apply(w, &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def, .text = "Y", .tail_count = 1}),
                     ERR_ARG);
}

static void test_engine_report_on_an_instrument_that_contradicts_is_not_booked_there(void **state)
{
    world_t *w = *state;
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 10}), 0);
    exec_report_t f = fill(w, 1, SIDE_BUY, 9990, 4);
    f.instrument_id = 2; /* room for it, but never defined */
    assert_int_equal(apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    assert_int_equal(out_count(w, MSG_POSITION), 0);
    assert_true(out_count(w, MSG_ALARM) > 0);
    f.exec_id_lo++;
    f.instrument_id = 0; /* not said: the order's own */
    assert_int_equal(apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    assert_int_equal(out_count(w, MSG_POSITION), 1);
}

static void test_engine_prices_nothing_on_a_stale_book(void **state)
{
    world_t           *w     = *state;
    const feed_state_t stale = {.instrument_id = 1, .health = FEED_STALE, .reason = FEED_REASON_AGE};
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(apply_body(w, MSG_FEED_STATE, &stale), ERR_OK);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_STALE_MARKET_DATA);
}

static void test_engine_kill_of_everything_is_lifted_by_any_name(void **state)
{
    world_t *w = *state;
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    control(w, CONTROL_KILL, SCOPE_GLOBAL, 7, 1);
    control(w, CONTROL_KILL, SCOPE_GLOBAL, 0, 0);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), 0);
    assert_int_equal(out_count(w, MSG_ORDER_REQUEST), 1); /* the order, and no cancel after it */
}

static void test_engine_kill_asks_again_only_after_a_while(void **state)
{
    world_t *w = *state;
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), 0);
    control(w, CONTROL_KILL, SCOPE_GLOBAL, 0, 1);
    assert_int_equal(out_count(w, MSG_ORDER_REQUEST), 1);
    exec_report_t refused = report(w, 1, EXEC_TYPE_CANCEL_REJECT);
    assert_int_equal(apply_body(w, MSG_EXEC_REPORT, &refused), ERR_OK);
    assert_int_equal(out_count(w, MSG_ORDER_REQUEST), 0);
    w->now += NS_PER_S;
    book(w, 0, 9990, 10010);
    assert_int_equal(out_count(w, MSG_ORDER_REQUEST), 1);
}

static void test_engine_reduce_only_order_opens_nothing(void **state)
{
    world_t *w = *state;
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(
        order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1, .exec_inst = EXEC_INST_REDUCE_ONLY}),
        RISK_REDUCE_ONLY);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 5}), 0);
    const exec_report_t f = fill(w, 2, SIDE_BUY, 9990, 5);
    assert_int_equal(apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    assert_int_equal(
        order(w, (order_req_t){.side = SIDE_SELL, .px = 10010, .qty = 5, .exec_inst = EXEC_INST_REDUCE_ONLY}), 0);
    assert_int_equal(
        order(w, (order_req_t){.side = SIDE_SELL, .px = 10011, .qty = 1, .exec_inst = EXEC_INST_REDUCE_ONLY}),
        RISK_REDUCE_ONLY);
}

static void test_engine_foreign_ids_use_nothing_up(void **state)
{
    world_t    *w   = *state;
    order_req_t req = {.tenant_id       = 1,
                       .account_id      = 1,
                       .instrument_id   = 1,
                       .action          = ORDER_ACTION_NEW,
                       .side            = SIDE_BUY,
                       .ord_type        = ORD_TYPE_LIMIT,
                       .tif             = TIF_GTC,
                       .px              = 9990,
                       .qty             = 1,
                       .created_mono_ns = w->now};
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    const uint64_t ids[] = {cl_ord_id_make(4095, 200, CL_ORD_ID_SEQ_MAX), cl_ord_id_make(3, 0, CL_ORD_ID_SEQ_MAX)};
    for (int i = 0; i < 2; i++) {
        req.cl_ord_id = ids[i];
        assert_int_equal(apply_body(w, MSG_ORDER_REQUEST, &req), ERR_OK);
        assert_int_equal(((const verdict_t *)out_first(w, MSG_VERDICT))->code, RISK_BAD_CLIENT_ORDER_ID);
        assert_int_equal(out_count(w, MSG_ORDER_REQUEST), 0);
    }
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), 0);
}

static void test_engine_replace_of_another_strategy_is_refused(void **state)
{
    world_t *w = *state;
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 10}), 0);
    assert_int_equal(order(w, (order_req_t){.side           = SIDE_BUY,
                                            .px             = 9990,
                                            .qty            = 12,
                                            .action         = ORDER_ACTION_REPLACE,
                                            .orig_cl_ord_id = cl_ord_id_make(3, 200, 1)}),
                     0);
    assert_int_equal(order(w, (order_req_t){.side           = SIDE_BUY,
                                            .px             = 9990,
                                            .qty            = 14,
                                            .action         = ORDER_ACTION_REPLACE,
                                            .orig_cl_ord_id = cl_ord_id_make(3, 200, 1),
                                            .strategy_id    = 1}),
                     RISK_UNKNOWN_ORDER);
}

static void test_engine_cancel_leaves_with_the_fields_of_its_order(void **state)
{
    world_t *w = *state;
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 10}), 0);
    assert_int_equal(order(w, (order_req_t){.side           = 77,
                                            .px             = INT64_MIN,
                                            .qty            = INT64_MIN,
                                            .action         = ORDER_ACTION_CANCEL,
                                            .orig_cl_ord_id = cl_ord_id_make(3, 200, 1)}),
                     0);
    const order_req_t *sent = out_first(w, MSG_ORDER_REQUEST);
    assert_int_equal(sent->side, SIDE_BUY);
    assert_int_equal(sent->px, 0);
    assert_int_equal(sent->qty, 0);
}

static void test_engine_wild_quote_does_not_lead_for_ever(void **state)
{
    world_t    *w    = *state;
    const top_t wild = {
        .instrument_id = 1, .venue_seq = UINT64_MAX, .bid_px = 5000, .bid_qty = 1, .ask_px = 5010, .ask_qty = 1};
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(apply_body(w, MSG_TOP, &wild), ERR_OK);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_COLLAR_BUY);
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010); /* a new beginning */
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), 0);
    assert_int_equal(apply_body(w, MSG_TOP, &wild), ERR_OK);
    w->now += NS_PER_S + 1; /* older than a quote may be */
    book(w, 0, 9990, 10010);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9991, .qty = 1}), 0);
}

static void test_engine_fill_that_is_no_money_keeps_the_account_closed(void **state)
{
    world_t *w = *state;
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 10}), 0);
    const exec_report_t f = fill(w, 1, SIDE_BUY, INT64_MAX / 2, 10);
    assert_int_equal(apply_body(w, MSG_EXEC_REPORT, &f), ERR_OK);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_SELL, .px = 10010, .qty = 1}), RISK_UNRECONCILED);
    const control_t clear = {.kind = CONTROL_UNRECONCILED, .scope_type = SCOPE_ACCOUNT, .scope_id = 1};
    assert_int_equal(apply_body(w, MSG_CONTROL, &clear), ERR_STATE);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_SELL, .px = 10010, .qty = 1}), RISK_UNRECONCILED);
}

/* The same inputs to the original and to a copy of its bytes elsewhere: same outputs, same state. */
static void test_engine_snapshot_is_the_arena(void **state)
{
    world_t *w = *state;
    book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    assert_int_equal(order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 10}), 0);
    world_t copy = *w;
    copy.arena   = aligned_alloc(engine_align(), (w->bytes + engine_align() - 1) / engine_align() * engine_align());
    copy.handle  = malloc(engine_handle_size());
    copy.out.buf = malloc(ENGINE_OUT_MAX);
    memcpy(copy.arena, w->arena, w->bytes);
    copy.engine = engine_join(copy.handle, copy.arena);
    assert_non_null(copy.engine);
    memset(w->out.buf, 0x5a, 4096);
    world_t *both[] = {w, &copy};
    for (int i = 0; i < 2; i++) {
        const exec_report_t f = fill(both[i], 1, SIDE_BUY, 9990, 4);
        assert_int_equal(apply_body(both[i], MSG_EXEC_REPORT, &f), ERR_OK);
        book(both[i], 0, 9991, 10011);
        assert_int_equal(order(both[i], (order_req_t){.side = SIDE_SELL, .px = 10020, .qty = 3}), 0);
    }
    assert_int_equal(engine_output_hash(w->engine), engine_output_hash(copy.engine));
    assert_int_equal(engine_state_hash(w->engine), engine_state_hash(copy.engine));
    assert_int_equal(order(&copy, (order_req_t){.side = SIDE_SELL, .px = 10030, .qty = 3}), 0);
    assert_int_not_equal(engine_output_hash(w->engine), engine_output_hash(copy.engine));
    assert_int_not_equal(engine_state_hash(w->engine), engine_state_hash(copy.engine));
    free(copy.arena);
    free(copy.handle);
    free(copy.out.buf);
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
