/* sim_venue: our orders against a recorded market, by hand and at random.
 *
 * Invariants   what each rule of the header says, one case each; at random: cum + leaves of an order add up, no report
 *              for an order that is not open, ExecIDs rise, what orders took from levels between two updates never
 *              exceeds what was shown (the oracle counts by level), trades fill no more than they traded, buys never
 *              above and sells never below their limit; a copy of the bytes goes on the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/match/sim_venue.h"

#define CAP 64u

typedef struct world {
    sim_venue_t  *venue;
    exec_report_t reports[4 * CAP];
    exec_out_t    out;
    uint64_t      rpt_seq;
    uint64_t      ids;
    int64_t       ts_ns;
} world_t;

static const sim_venue_cfg_t cfg_plain = {.session         = 42,
                                          .instruments_max = 2,
                                          .orders_max      = 32,
                                          .fills_max       = CAP - 2,
                                          .book            = {.window_ticks = 64, .far_slots = 64}};

static void ins_make(instrument_t *ins, uint32_t id, instrument_kind_t kind)
{
    const instrument_def_t def  = {.instrument_id = id,
                                   .venue_id      = 1,
                                   .kind          = (uint8_t)kind,
                                   .px_exp        = 2,
                                   .qty_exp       = kind == INSTRUMENT_INVERSE ? 0 : 3,
                                   .money_exp     = kind == INSTRUMENT_INVERSE ? 8 : 2,
                                   .settle_ccy    = ccy_pack("USD"),
                                   .lot           = 1,
                                   .min_qty       = 2,
                                   .mult          = kind == INSTRUMENT_INVERSE ? 100 : 1,
                                   .band_lower    = 100,
                                   .band_upper    = 1000000};
    const tick_band_t      band = {.px_from = 0, .tick = 5};
    assert_int_equal(instrument_init(ins, &def, "TEST", &band, 1), ERR_OK);
}

static void world_open_cfg(world_t *w, const sim_venue_cfg_t *cfg, fee_cfg_t fee)
{
    instrument_t ins;
    *w             = (world_t){.out = {.reports = w->reports, .cap = 4 * CAP}, .ts_ns = 1000};
    const size_t n = (sim_venue_footprint(cfg) + 4095) / 4096 * 4096;
    w->venue       = sim_venue_new(aligned_alloc(4096, n), cfg);
    assert_non_null(w->venue);
    ins_make(&ins, 1, INSTRUMENT_LINEAR);
    assert_int_equal(sim_venue_instrument(w->venue, &ins, &fee), ERR_OK);
    assert_int_equal(sim_venue_instrument(w->venue, &ins, &fee), ERR_EXISTS);
    ins_make(&ins, 2, INSTRUMENT_INVERSE);
    assert_int_equal(sim_venue_instrument(w->venue, &ins, &fee), ERR_OK);
}

static void world_open(world_t *w, fee_cfg_t fee)
{
    world_open_cfg(w, &cfg_plain, fee);
}

static void world_close(world_t *w)
{
    free(w->venue);
}

/* A complete message with bids, then asks. Reports of the call are what out holds afterwards. */
static void feed_flags(world_t *w, uint32_t flags, const level_t *levels, uint16_t bids, uint16_t asks)
{
    const book_update_t upd = {.instrument_id = 1,
                               .flags         = flags,
                               .rpt_seq       = ++w->rpt_seq,
                               .venue_seq     = w->rpt_seq,
                               .bid_count     = bids,
                               .ask_count     = asks};
    const msg_t msg = {.type = MSG_BOOK_UPDATE, .tail_count = (uint32_t)bids + asks, .body = &upd, .tail = levels};
    w->out.count    = 0;
    assert_int_equal(sim_venue_market(w->venue, &msg, ++w->ts_ns, &w->out), ERR_OK);
}

#define WHOLE (BOOK_FLAG_FIRST | BOOK_FLAG_LAST)

static void feed_snapshot(world_t *w) /* bids 1000 x 100, 995 x 200; asks 1010 x 10, 1015 x 20, 1020 x 30 */
{
    static const level_t levels[] = {{1000, 100}, {995, 200}, {1010, 10}, {1015, 20}, {1020, 30}};
    feed_flags(w, WHOLE | BOOK_FLAG_SNAPSHOT, levels, 2, 3);
}

static void feed_level(world_t *w, side_t side, int64_t px, int64_t qty)
{
    feed_flags(w, WHOLE, &(level_t){px, qty}, side == SIDE_BUY, side == SIDE_SELL);
}

static void feed_trade(world_t *w, side_t aggressor, int64_t px, int64_t qty)
{
    const trade_t trade = {.instrument_id = 1, .aggressor_side = (uint8_t)aggressor, .px = px, .qty = qty};
    const msg_t   msg   = {.type = MSG_TRADE, .body = &trade};
    w->out.count        = 0;
    assert_int_equal(sim_venue_market(w->venue, &msg, ++w->ts_ns, &w->out), ERR_OK);
}

static void feed_health(world_t *w, feed_health_t health)
{
    const feed_state_t feed = {.instrument_id = 1, .health = (uint8_t)health, .reason = FEED_REASON_GAP};
    const msg_t        msg  = {.type = MSG_FEED_STATE, .body = &feed};
    w->out.count            = 0;
    assert_int_equal(sim_venue_market(w->venue, &msg, ++w->ts_ns, &w->out), ERR_OK);
}

static void ask(world_t *w, const order_req_t *req)
{
    w->out.count = 0;
    assert_int_equal(sim_venue_request(w->venue, req, ++w->ts_ns, &w->out), ERR_OK);
}

static uint64_t order_full(world_t *w, side_t side, int64_t px, int64_t qty, ord_type_t type, tif_t tif, uint16_t inst)
{
    ask(w, &(order_req_t){.cl_ord_id     = ++w->ids,
                          .corr_lo       = 500 + w->ids,
                          .account_id    = 9,
                          .strategy_id   = 8,
                          .instrument_id = 1,
                          .px            = px,
                          .qty           = qty,
                          .action        = ORDER_ACTION_NEW,
                          .side          = (uint8_t)side,
                          .ord_type      = (uint8_t)type,
                          .tif           = (uint8_t)tif,
                          .exec_inst     = inst});
    return w->ids;
}

static uint64_t order(world_t *w, side_t side, int64_t px, int64_t qty)
{
    return order_full(w, side, px, qty, ORD_TYPE_LIMIT, TIF_GTC, 0);
}

static void cancel(world_t *w, uint64_t id)
{
    ask(w,
        &(order_req_t){.cl_ord_id = ++w->ids, .orig_cl_ord_id = id, .instrument_id = 1, .action = ORDER_ACTION_CANCEL});
}

static void replace(world_t *w, uint64_t id, int64_t px, int64_t qty)
{
    ask(w, &(order_req_t){.cl_ord_id      = ++w->ids,
                          .orig_cl_ord_id = id,
                          .instrument_id  = 1,
                          .px             = px,
                          .qty            = qty,
                          .action         = ORDER_ACTION_REPLACE});
}

static const exec_report_t *report(const world_t *w, uint32_t i, uint64_t id, exec_type_t type, int64_t cum,
                                   int64_t leaves)
{
    assert_true(i < w->out.count);
    const exec_report_t *r = &w->reports[i];
    assert_int_equal(r->cl_ord_id, id);
    assert_int_equal(r->exec_type, type);
    assert_int_equal(r->cum_qty, cum);
    assert_int_equal(r->leaves_qty, leaves);
    return r;
}

static const exec_report_t *fill(const world_t *w, uint32_t i, uint64_t id, int64_t px, int64_t qty, int64_t cum,
                                 int64_t leaves)
{
    const exec_report_t *r = report(w, i, id, EXEC_TYPE_TRADE, cum, leaves);
    assert_int_equal(r->last_px, px);
    assert_int_equal(r->last_qty, qty);
    assert_int_equal(r->ord_status, leaves == 0 ? ORD_STATUS_FILLED : ORD_STATUS_PARTIALLY_FILLED);
    return r;
}

static void rejected(const world_t *w, exec_type_t type, venue_reject_t code)
{
    assert_int_equal(w->out.count, 1);
    assert_int_equal(w->reports[0].exec_type, type);
    assert_int_equal(w->reports[0].reject_code, code);
}

#define CASE(name)                                                                                                     \
    static void name##_in(world_t *w);                                                                                 \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        static world_t w;                                                                                              \
        (void)state;                                                                                                   \
        world_open(&w, (fee_cfg_t){.maker_rate_e8 = -10000, .taker_rate_e8 = 50000});                                  \
        feed_snapshot(&w);                                                                                             \
        name##_in(&w);                                                                                                 \
        world_close(&w);                                                                                               \
    }                                                                                                                  \
    static void name##_in(world_t *w)

/* ---- taking ----------------------------------------------------------------------------------------------------- */

CASE(test_taker_sweeps_levels_at_their_prices_and_rests)
{
    const uint64_t       id = order(w, SIDE_BUY, 1015, 50);
    const exec_report_t *r  = report(w, 0, id, EXEC_TYPE_NEW, 0, 50);
    assert_int_equal(r->exec_id_hi, 42);
    assert_int_equal(r->exec_id_lo, 1);
    assert_int_equal(r->order_id_lo, 1);
    assert_int_equal(r->corr_lo, 500 + id);
    assert_int_equal(r->account_id, 9);
    assert_int_equal(r->strategy_id, 8);
    assert_int_equal(r->ts_event_ns, w->ts_ns);
    assert_int_equal(fill(w, 1, id, 1010, 10, 10, 40)->last_liquidity, LIQUIDITY_TAKER);
    assert_int_equal(fill(w, 2, id, 1015, 20, 30, 20)->exec_id_lo, 3);
    assert_int_equal(w->out.count, 3);
    assert_int_equal(sim_venue_ahead(w->venue, id), 0);
}

CASE(test_liquidity_is_not_used_twice)
{
    const uint64_t a = order_full(w, SIDE_BUY, 1015, 15, ORD_TYPE_LIMIT, TIF_IOC, 0);
    fill(w, 1, a, 1010, 10, 10, 5);
    fill(w, 2, a, 1015, 5, 15, 0);
    uint64_t b = order_full(w, SIDE_BUY, 1015, 100, ORD_TYPE_LIMIT, TIF_IOC, 0);
    fill(w, 1, b, 1015, 15, 15, 85);
    report(w, 2, b, EXEC_TYPE_EXPIRED, 15, 0);
    b = order_full(w, SIDE_BUY, 1015, 100, ORD_TYPE_LIMIT, TIF_IOC, 0);
    report(w, 1, b, EXEC_TYPE_EXPIRED, 0, 0);
    /* other levels do not bring it back; the feed's word on the level itself does */
    feed_level(w, SIDE_SELL, 1020, 31);
    b = order_full(w, SIDE_BUY, 1015, 100, ORD_TYPE_LIMIT, TIF_IOC, 0);
    assert_int_equal(w->out.count, 2);
    feed_level(w, SIDE_SELL, 1015, 7);
    b = order_full(w, SIDE_BUY, 1015, 100, ORD_TYPE_LIMIT, TIF_IOC, 0);
    fill(w, 1, b, 1015, 7, 7, 93);
}

CASE(test_ioc_and_market_rest_expires)
{
    uint64_t id = order_full(w, SIDE_SELL, 1000, 130, ORD_TYPE_LIMIT, TIF_IOC, 0);
    fill(w, 1, id, 1000, 100, 100, 30);
    assert_int_equal(report(w, 2, id, EXEC_TYPE_EXPIRED, 100, 0)->ord_status, ORD_STATUS_EXPIRED);
    id = order_full(w, SIDE_BUY, 0, 1000, ORD_TYPE_MARKET, TIF_GTC, 0);
    assert_int_equal(w->out.count, 5);
    report(w, 4, id, EXEC_TYPE_EXPIRED, 60, 0);
    id = order_full(w, SIDE_SELL, 997, 10, ORD_TYPE_MARKET, TIF_IOC, 0); /* a collar need be on no tick */
    assert_int_equal(w->out.count, 2);
    report(w, 1, id, EXEC_TYPE_EXPIRED, 0, 0);
    id = order_full(w, SIDE_SELL, 993, 10, ORD_TYPE_MARKET, TIF_IOC, 0);
    fill(w, 1, id, 995, 10, 10, 0);
}

CASE(test_fok_takes_all_or_nothing)
{
    uint64_t id = order_full(w, SIDE_BUY, 1015, 31, ORD_TYPE_LIMIT, TIF_FOK, 0);
    assert_int_equal(w->out.count, 2);
    report(w, 1, id, EXEC_TYPE_EXPIRED, 0, 0);
    id = order_full(w, SIDE_BUY, 1015, 30, ORD_TYPE_LIMIT, TIF_FOK, 0);
    assert_int_equal(w->out.count, 3);
    fill(w, 2, id, 1015, 20, 30, 0);
}

CASE(test_post_only_never_takes)
{
    order_full(w, SIDE_BUY, 1010, 5, ORD_TYPE_LIMIT, TIF_GTC, EXEC_INST_POST_ONLY);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_POST_ONLY);
    const uint64_t id = order_full(w, SIDE_BUY, 1005, 5, ORD_TYPE_LIMIT, TIF_GTC, EXEC_INST_POST_ONLY);
    report(w, 0, id, EXEC_TYPE_NEW, 0, 5);
    replace(w, id, 1010, 5);
    rejected(w, EXEC_TYPE_REPLACE_REJECT, VENUE_REJECT_POST_ONLY);
    report(w, 0, id, EXEC_TYPE_REPLACE_REJECT, 0, 5);
    cancel(w, id); /* it lived on */
    report(w, 0, id, EXEC_TYPE_CANCELED, 0, 0);
    order_full(w, SIDE_BUY, 1005, 5, ORD_TYPE_LIMIT, TIF_IOC, EXEC_INST_POST_ONLY);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_UNSUPPORTED);
}

CASE(test_door_refuses)
{
    order(w, SIDE_BUY, 1002, 5);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_PX_TICK);
    assert_int_equal(w->reports[0].ord_status, ORD_STATUS_REJECTED);
    order(w, SIDE_BUY, 95, 5);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_PX_BAND);
    order(w, SIDE_BUY, -5, 5);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_PX_BAND);
    order(w, SIDE_BUY, 1000, 1);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_QTY);
    order(w, SIDE_BUY, 1000, -3);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_QTY);
    order(w, SIDE_BUY, 1000000, INT64_MAX);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_NOTIONAL);
    order(w, SIDE_NONE, 1000, 5);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_UNSUPPORTED);
    const order_req_t req = {.cl_ord_id = 77, .action = ORDER_ACTION_NEW, .instrument_id = 3};
    ask(w, &req);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_UNKNOWN_SYMBOL);
    order(w, SIDE_BUY, 1000, 5);
    w->ids--;
    order(w, SIDE_BUY, 1000, 5);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_DUPLICATE);
    for (unsigned i = 0; i < 31; i++) {
        report(w, 0, order(w, SIDE_BUY, 990, 5), EXEC_TYPE_NEW, 0, 5);
    }
    order(w, SIDE_BUY, 990, 5);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_OVERLOAD);
}

CASE(test_sweep_of_too_many_levels_is_rejected)
{
    for (int64_t i = 0; i < (int64_t)CAP; i++) {
        feed_level(w, SIDE_SELL, 1010 + 5 * i, 2);
    }
    order(w, SIDE_BUY, 10000, 2 * CAP);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_FILLS);
    const uint64_t id = order(w, SIDE_BUY, 10000, 2 * (CAP - 2));
    assert_int_equal(w->out.count, CAP - 1);
    fill(w, CAP - 2, id, 1010 + 5 * ((int64_t)CAP - 3), 2, 2 * (CAP - 2), 0);
}

/* ---- queue ------------------------------------------------------------------------------------------------------ */

CASE(test_queue_ahead_is_used_up_before_us)
{
    const uint64_t id = order(w, SIDE_BUY, 1000, 30);
    assert_int_equal(sim_venue_ahead(w->venue, id), 100);
    feed_trade(w, SIDE_SELL, 1000, 90);
    assert_int_equal(w->out.count, 0);
    assert_int_equal(sim_venue_ahead(w->venue, id), 10);
    feed_trade(w, SIDE_BUY, 1000, 90); /* the other side's trade is none of ours */
    feed_trade(w, SIDE_NONE, 1000, 90);
    assert_int_equal(sim_venue_ahead(w->venue, id), 10);
    feed_level(w, SIDE_BUY, 1000, 10); /* the diff that tells of the trade takes nothing twice */
    assert_int_equal(sim_venue_ahead(w->venue, id), 10);
    feed_trade(w, SIDE_SELL, 1000, 15);
    assert_int_equal(w->out.count, 1);
    assert_int_equal(fill(w, 0, id, 1000, 5, 5, 25)->last_liquidity, LIQUIDITY_MAKER);
    feed_trade(w, SIDE_SELL, 1000, 100);
    fill(w, 0, id, 1000, 25, 30, 0);
    assert_int_equal(sim_venue_ahead(w->venue, id), -1);
}

CASE(test_queue_shrinks_with_its_level)
{
    const uint64_t id = order(w, SIDE_BUY, 1000, 30);
    feed_level(w, SIDE_BUY, 1000, 150);
    assert_int_equal(sim_venue_ahead(w->venue, id), 100);
    feed_level(w, SIDE_BUY, 1000, 60);
    assert_int_equal(sim_venue_ahead(w->venue, id), 60);
    feed_level(w, SIDE_BUY, 1000, 0);
    assert_int_equal(sim_venue_ahead(w->venue, id), 0);
    feed_level(w, SIDE_BUY, 1000, 80);
    assert_int_equal(sim_venue_ahead(w->venue, id), 0);
    feed_trade(w, SIDE_SELL, 1000, 4);
    fill(w, 0, id, 1000, 4, 4, 26);
}

CASE(test_two_own_orders_share_one_trade)
{
    feed_level(w, SIDE_BUY, 1000, 10);
    const uint64_t a = order(w, SIDE_BUY, 1000, 5);
    feed_level(w, SIDE_BUY, 1000, 22);
    const uint64_t b = order(w, SIDE_BUY, 1000, 5);
    assert_int_equal(sim_venue_ahead(w->venue, b), 22);
    feed_trade(w, SIDE_SELL, 1000, 12); /* 10 strangers, 2 of a */
    assert_int_equal(w->out.count, 1);
    fill(w, 0, a, 1000, 2, 2, 3);
    assert_int_equal(sim_venue_ahead(w->venue, b), 12);
    feed_trade(w, SIDE_SELL, 1000, 14); /* 3 of a, then 11 of the 12 between us */
    assert_int_equal(w->out.count, 1);
    fill(w, 0, a, 1000, 3, 5, 0);
    assert_int_equal(sim_venue_ahead(w->venue, b), 1);
    feed_trade(w, SIDE_SELL, 1000, 3);
    fill(w, 0, b, 1000, 2, 2, 3);
}

CASE(test_better_price_goes_first_and_trade_is_used_once)
{
    const uint64_t low  = order(w, SIDE_BUY, 1000, 5);
    const uint64_t high = order(w, SIDE_BUY, 1005, 5);
    feed_level(w, SIDE_BUY, 1000, 0);
    feed_trade(w, SIDE_SELL, 1000, 8);
    assert_int_equal(w->out.count, 2);
    fill(w, 0, high, 1005, 5, 5, 0);
    fill(w, 1, low, 1000, 3, 3, 2);
}

CASE(test_trade_through_us_fills_at_our_price)
{
    const uint64_t id = order(w, SIDE_BUY, 1000, 30);
    feed_trade(w, SIDE_SELL, 995, 12); /* 100 stood ahead: they must be gone */
    fill(w, 0, id, 1000, 12, 12, 18);
    assert_int_equal(sim_venue_ahead(w->venue, id), 0);
    feed_trade(w, SIDE_NONE, 995, 3);
    fill(w, 0, id, 1000, 3, 15, 15);
    const uint64_t sell = order(w, SIDE_SELL, 1010, 6);
    feed_trade(w, SIDE_BUY, 1015, 100);
    assert_int_equal(w->out.count, 1);
    fill(w, 0, sell, 1010, 6, 6, 0);
}

CASE(test_crossing_book_fills_at_our_price_up_to_its_quantity)
{
    const uint64_t       id      = order(w, SIDE_BUY, 1005, 30);
    const uint64_t       later   = order(w, SIDE_BUY, 1005, 30);
    static const level_t cross[] = {{1000, 0}, {995, 0}, {990, 5}, {1000, 8}, {1005, 30}};
    feed_flags(w, WHOLE, cross, 3, 2);
    assert_int_equal(w->out.count, 2);
    assert_int_equal(fill(w, 0, id, 1005, 30, 30, 0)->last_liquidity, LIQUIDITY_MAKER);
    fill(w, 1, later, 1005, 8, 8, 22);
    feed_level(w, SIDE_SELL, 1020, 5); /* what crossed has been used */
    assert_int_equal(w->out.count, 0);
    const uint64_t taker = order_full(w, SIDE_BUY, 1005, 5, ORD_TYPE_LIMIT, TIF_IOC, 0);
    report(w, 1, taker, EXEC_TYPE_EXPIRED, 0, 0);
    feed_level(w, SIDE_SELL, 1005, 4); /* and now there is more */
    fill(w, 0, later, 1005, 4, 12, 18);
}

CASE(test_parts_count_when_complete)
{
    const uint64_t id = order(w, SIDE_BUY, 1005, 30);
    feed_flags(w, BOOK_FLAG_FIRST, &(level_t){1005, 8}, 0, 1);
    assert_int_equal(w->out.count, 0);
    order(w, SIDE_BUY, 1010, 5);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_CLOSED);
    feed_flags(w, BOOK_FLAG_LAST, &(level_t){1005, 3}, 0, 1);
    fill(w, 0, id, 1005, 3, 3, 27);
}

/* ---- replace, cancel -------------------------------------------------------------------------------------------- */

CASE(test_replace_keeps_or_loses_its_place)
{
    const uint64_t id = order(w, SIDE_BUY, 1000, 30);
    feed_trade(w, SIDE_SELL, 1000, 60);
    replace(w, id, 1000, 20);
    const exec_report_t *r = report(w, 0, id, EXEC_TYPE_REPLACED, 0, 20);
    assert_int_equal(r->order_qty, 20);
    assert_int_equal(r->px, 1000);
    assert_int_equal(sim_venue_ahead(w->venue, id), 40);
    replace(w, id, 1000, 21);
    assert_int_equal(sim_venue_ahead(w->venue, id), 100);
    replace(w, id, 995, 21);
    assert_int_equal(sim_venue_ahead(w->venue, id), 200);
    replace(w, id, 1015, 21); /* now it takes */
    report(w, 0, id, EXEC_TYPE_REPLACED, 0, 21);
    fill(w, 1, id, 1010, 10, 10, 11);
    fill(w, 2, id, 1015, 11, 21, 0);
    replace(w, id, 1000, 50);
    rejected(w, EXEC_TYPE_REPLACE_REJECT, VENUE_REJECT_UNKNOWN_ORDER);
}

CASE(test_replace_to_what_is_filled_is_refused)
{
    const uint64_t id = order(w, SIDE_BUY, 1010, 30);
    assert_int_equal(w->out.count, 2);
    replace(w, id, 1010, 10);
    rejected(w, EXEC_TYPE_REPLACE_REJECT, VENUE_REJECT_QTY);
    report(w, 0, id, EXEC_TYPE_REPLACE_REJECT, 10, 20);
    replace(w, id, 1013, 50);
    rejected(w, EXEC_TYPE_REPLACE_REJECT, VENUE_REJECT_PX_TICK);
    replace(w, id, 1010, 12);
    report(w, 0, id, EXEC_TYPE_REPLACED, 10, 2);
}

CASE(test_fill_before_cancel_refuses_the_cancel)
{
    const uint64_t id = order(w, SIDE_BUY, 1005, 30);
    feed_trade(w, SIDE_SELL, 1005, 30);
    fill(w, 0, id, 1005, 30, 30, 0);
    cancel(w, id);
    rejected(w, EXEC_TYPE_CANCEL_REJECT, VENUE_REJECT_UNKNOWN_ORDER);
    const exec_report_t *r = report(w, 0, id, EXEC_TYPE_CANCEL_REJECT, -1, -1);
    assert_int_equal(r->ord_status, ORD_STATUS_NONE);
    const uint64_t part = order(w, SIDE_BUY, 1005, 30);
    feed_trade(w, SIDE_SELL, 1005, 10);
    cancel(w, part);
    report(w, 0, part, EXEC_TYPE_CANCELED, 10, 0);
    feed_trade(w, SIDE_SELL, 1005, 10);
    assert_int_equal(w->out.count, 0);
}

/* ---- feed ------------------------------------------------------------------------------------------------------- */

CASE(test_broken_feed_matches_nothing_and_keeps_orders)
{
    const uint64_t id = order(w, SIDE_BUY, 1005, 30);
    feed_health(w, FEED_BROKEN);
    feed_trade(w, SIDE_SELL, 1000, 100);
    assert_int_equal(w->out.count, 0);
    order(w, SIDE_BUY, 1010, 5);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_CLOSED);
    replace(w, id, 1000, 5);
    rejected(w, EXEC_TYPE_REPLACE_REJECT, VENUE_REJECT_CLOSED);
    const uint64_t other = id + 50;
    cancel(w, other);
    rejected(w, EXEC_TYPE_CANCEL_REJECT, VENUE_REJECT_UNKNOWN_ORDER);
    static const level_t levels[] = {{990, 5}, {1005, 7}};
    feed_flags(w, WHOLE | BOOK_FLAG_SNAPSHOT, levels, 1, 1); /* LIVE again, and it crosses us */
    fill(w, 0, id, 1005, 7, 7, 23);
}

CASE(test_gap_in_rpt_seq_breaks_also_after_takes)
{
    order_full(w, SIDE_BUY, 1015, 15, ORD_TYPE_LIMIT, TIF_IOC, 0); /* our own steps in the book's rpt_seq */
    feed_level(w, SIDE_SELL, 1010, 10);
    order(w, SIDE_BUY, 1005, 5);
    assert_int_equal(w->reports[0].exec_type, EXEC_TYPE_NEW);
    w->rpt_seq++;
    feed_level(w, SIDE_SELL, 1010, 11);
    order(w, SIDE_BUY, 1005, 5);
    rejected(w, EXEC_TYPE_REJECTED, VENUE_REJECT_CLOSED);
    feed_snapshot(w);
    order(w, SIDE_BUY, 1005, 5);
    assert_int_equal(w->reports[0].exec_type, EXEC_TYPE_NEW);
}

CASE(test_full_output_changes_nothing)
{
    order(w, SIDE_BUY, 1005, 30);
    const uint64_t hash  = sim_venue_hash(0, w->venue);
    const trade_t  trade = {.instrument_id = 1, .aggressor_side = SIDE_SELL, .px = 1000, .qty = 5};
    const msg_t    msg   = {.type = MSG_TRADE, .body = &trade};
    w->out.count         = 4 * CAP - sim_venue_reports_max(w->venue) + 1;
    assert_int_equal(sim_venue_market(w->venue, &msg, 5000, &w->out), ERR_FULL);
    const order_req_t req = {.cl_ord_id = 900, .orig_cl_ord_id = 1, .action = ORDER_ACTION_CANCEL, .instrument_id = 1};
    assert_int_equal(sim_venue_request(w->venue, &req, 5000, &w->out), ERR_FULL);
    assert_true(sim_venue_hash(0, w->venue) == hash);
    w->out.count--;
    assert_int_equal(sim_venue_market(w->venue, &msg, 5000, &w->out), ERR_OK);
    assert_true(sim_venue_hash(0, w->venue) != hash);
    const trade_t alien = {.instrument_id = 9};
    assert_int_equal(sim_venue_market(w->venue, &(msg_t){.type = MSG_TRADE, .body = &alien}, 5000, &w->out),
                     ERR_NOT_FOUND);
}

/* ---- fees ------------------------------------------------------------------------------------------------------- */

/* The fee of one fill at a rate. */
static int64_t fee_at(const instrument_t *ins, int64_t rate_e8, int64_t px, int64_t qty)
{
    fee_t       fee;
    fee_order_t of_order = {0};
    fee_begin(&fee, &(fee_cfg_t){.taker_rate_e8 = rate_e8});
    return fee_charge(&fee, &of_order, ins, LIQUIDITY_TAKER, px, qty, 0);
}

CASE(test_fees_are_rounded_against_us)
{
    /* 10.10 x 0.010 = 0.101; 5 bp of it = 0.0000505: one cent; a rebate of 1 bp: nothing */
    const uint64_t id = order_full(w, SIDE_BUY, 1010, 10, ORD_TYPE_LIMIT, TIF_IOC, 0);
    assert_int_equal(fill(w, 1, id, 1010, 10, 10, 0)->fee, 1);
    const uint64_t maker = order(w, SIDE_BUY, 1005, 20);
    feed_trade(w, SIDE_SELL, 1005, 20);
    assert_int_equal(fill(w, 0, maker, 1005, 20, 20, 0)->fee, 0);
    instrument_t linear, inverse;
    ins_make(&linear, 1, INSTRUMENT_LINEAR);
    ins_make(&inverse, 2, INSTRUMENT_INVERSE);
    /* 100.00 x 20.000 = 2000.00: 5 bp = 1.00 exactly, -1 bp = -0.20 exactly; one quantity more: up, and not down */
    assert_int_equal(fee_at(&linear, 50000, 10000, 20000), 100);
    assert_int_equal(fee_at(&linear, 50000, 10000, 20001), 101);
    assert_int_equal(fee_at(&linear, -10000, 10000, 20000), -20);
    assert_int_equal(fee_at(&linear, -10000, 10000, 20001), -20);
    assert_int_equal(fee_at(&linear, -10000, 10000, 19999), -19);
    assert_int_equal(fee_at(&linear, 0, 10000, 20001), 0);
    /* 3 contracts of 100 at 70.00: 300 / 70 = 4.285714285.. coin: 5 bp = 0.00214285714.. -> 214286; -1 bp -> 42857 */
    assert_int_equal(fee_at(&inverse, 50000, 7000, 3), 214286);
    assert_int_equal(fee_at(&inverse, -10000, 7000, 3), -42857);
    /* Values just off a whole fee, by less than the last digit of nano money, at 10 %. */
    assert_int_equal(fee_at(&inverse, FEE_RATE_MAX, 10000000019, 8894736859), 88947368421LL + 1);
    assert_int_equal(fee_at(&inverse, -FEE_RATE_MAX, 10000000019, 1105263160), -11052631578LL);
    assert_int_equal(fee_at(&linear, 50000, INT64_MAX, INT64_MAX), INT64_MAX);
    assert_int_equal(fee_at(&linear, -50000, INT64_MAX, INT64_MAX), 0);
    assert_int_equal(fee_check(&(fee_cfg_t){.maker_rate_e8 = -FEE_RATE_MAX - 1}), ERR_ARG);
}

/* ---- random ----------------------------------------------------------------------------------------------------- */

#define TICKS 24
#define PX0 1000
#define MINE 20000u

typedef struct oracle { /* what is shown and what of it has been taken since, by tick; our orders by id */
    int64_t shown[3][TICKS], taken[3][TICKS];
    struct {
        side_t  side;
        int64_t px, qty, cum;
        bool    open;
    } orders[MINE + 1];
    uint64_t exec_id;
    unsigned takers, makers;
} oracle_t;

static void oracle_check(oracle_t *o, const world_t *w)
{
    for (uint32_t i = 0; i < w->out.count; i++) {
        const exec_report_t *r = &w->reports[i];
        assert_int_equal(r->exec_id_lo, ++o->exec_id);
        assert_true(r->cl_ord_id >= 1 && r->cl_ord_id <= MINE);
        if (r->exec_type == EXEC_TYPE_REJECTED) {
            continue;
        }
        if (r->exec_type == EXEC_TYPE_NEW) {
            o->orders[r->cl_ord_id].open = true;
        } else if (r->exec_type == EXEC_TYPE_REPLACED) {
            o->orders[r->cl_ord_id].px  = r->px;
            o->orders[r->cl_ord_id].qty = r->order_qty;
        }
        const side_t  side = o->orders[r->cl_ord_id].side;
        const int64_t px   = o->orders[r->cl_ord_id].px;
        if (r->cum_qty < 0) {
            assert_false(o->orders[r->cl_ord_id].open);
            continue;
        }
        assert_true(o->orders[r->cl_ord_id].open);
        if (r->exec_type == EXEC_TYPE_TRADE) {
            o->orders[r->cl_ord_id].cum += r->last_qty;
            assert_true(r->last_qty > 0);
            if (r->last_liquidity == LIQUIDITY_TAKER) {
                const side_t opposite = side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
                const size_t tick     = (size_t)(r->last_px - PX0) / 5;
                o->taken[opposite][tick] += r->last_qty;
                assert_true(o->taken[opposite][tick] <= o->shown[opposite][tick]);
                assert_true(side == SIDE_BUY ? r->last_px <= px : r->last_px >= px);
                o->takers++;
            } else {
                assert_int_equal(r->last_px, px);
                o->makers++;
            }
        }
        assert_int_equal(r->cum_qty, o->orders[r->cl_ord_id].cum);
        assert_true(r->cum_qty <= o->orders[r->cl_ord_id].qty);
        const bool over = r->exec_type == EXEC_TYPE_CANCELED || r->exec_type == EXEC_TYPE_EXPIRED ||
                          r->cum_qty == o->orders[r->cl_ord_id].qty;
        assert_int_equal(r->leaves_qty, over ? 0 : o->orders[r->cl_ord_id].qty - r->cum_qty);
        o->orders[r->cl_ord_id].open = !over;
    }
}

static void random_market(const sim_venue_cfg_t *cfg)
{
    const char    *text = getenv("HWAL_SEED");
    uint64_t       rng  = text != NULL ? strtoull(text, NULL, 0) : 0x51d7e11eULL;
    static world_t w;
    oracle_t      *o = calloc(1, sizeof *o);
    char           model[QUEUE_TEXT_MAX];
    printf("seed %#llx (HWAL_SEED), %s%s\n", (unsigned long long)rng, queue_text(&cfg->queue, model),
           cfg->trades_take == 1 ? ", trades take" : "");
    world_open_cfg(&w, cfg, (fee_cfg_t){.maker_rate_e8 = -10000, .taker_rate_e8 = 50000});
    feed_flags(&w, WHOLE | BOOK_FLAG_SNAPSHOT, NULL, 0, 0);
    int64_t mid = TICKS / 2; /* strangers bid below this tick, and ask at it and above */
    while (w.ids < MINE - 2) {
        rng                 = rng * 6364136223846793005ULL + 1442695040888963407ULL;
        const uint32_t pick = (uint32_t)(rng >> 32);
        const int64_t  tick = pick % TICKS, qty = 2 + (pick >> 6) % 20;
        const int64_t  px   = PX0 + 5 * tick;
        const side_t   side = (pick >> 12 & 1) != 0 ? SIDE_BUY : SIDE_SELL;
        const uint64_t some = w.ids == 0 ? 1 : w.ids - (pick >> 13) % (w.ids < 40 ? w.ids : 40);
        switch (pick >> 20 & 15) {
        case 0: /* the market moves by a tick: what would cross leaves in the same message */
        {
            const int64_t to = mid + (side == SIDE_BUY ? 1 : -1);
            if (to < 2 || to > TICKS - 2) {
                break;
            }
            const int64_t gone = side == SIDE_BUY ? mid : to; /* this tick changes hands */
            const side_t  gets = side, loses = side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
            const level_t bid      = {PX0 + 5 * gone, gets == SIDE_BUY ? qty : 0};
            const level_t level2[] = {bid, {PX0 + 5 * gone, gets == SIDE_SELL ? qty : 0}};
            mid                    = to;
            o->shown[gets][gone]   = qty;
            o->shown[loses][gone]  = 0;
            o->taken[gets][gone] = o->taken[loses][gone] = 0;
            feed_flags(&w, WHOLE, level2, 1, 1);
            for (uint32_t i = 0; i < w.out.count; i++) { /* fills by crossing use that level, too */
                o->taken[gets][gone] += w.reports[i].last_qty;
            }
            assert_true(o->taken[gets][gone] <= qty);
            break;
        }
        case 1:
        case 2:
        case 3:
        case 4: {
            const side_t  stranger   = tick < mid ? SIDE_BUY : SIDE_SELL;
            const int64_t shows      = (pick >> 24 & 7) == 0 ? 0 : qty;
            o->shown[stranger][tick] = shows;
            o->taken[stranger][tick] = 0;
            feed_level(&w, stranger, px, shows);
            for (uint32_t i = 0; i < w.out.count; i++) {
                o->taken[stranger][tick] += w.reports[i].last_qty;
            }
            assert_true(o->taken[stranger][tick] <= shows);
            break;
        }
        case 5:
        case 6:
        case 7: {
            int64_t filled = 0;
            feed_trade(&w, side, px, qty);
            for (uint32_t i = 0; i < w.out.count; i++) {
                filled += w.reports[i].last_qty;
                assert_int_equal(w.reports[i].side, side == SIDE_BUY ? SIDE_SELL : SIDE_BUY);
            }
            assert_true(filled <= qty);
            if (cfg->trades_take == 1) { /* what it took is not there to be taken */
                const side_t  met  = side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
                const int64_t left = o->shown[met][tick] - o->taken[met][tick];
                o->taken[met][tick] += qty < left ? qty : left;
            }
            break;
        }
        case 8:
        case 9: cancel(&w, some); break;
        case 10: replace(&w, some, px, qty); break;
        default:
            o->orders[w.ids + 1].side = side;
            o->orders[w.ids + 1].px   = px;
            o->orders[w.ids + 1].qty  = qty;
            order_full(&w, side, px, qty, ORD_TYPE_LIMIT, (pick >> 24 & 3) == 0 ? TIF_IOC : TIF_GTC,
                       (pick >> 24 & 3) == 1 ? EXEC_INST_POST_ONLY : 0);
            break;
        }
        oracle_check(o, &w);
        w.out.count = 0;
    }
    printf("  %llu reports, fills: taker %u, maker %u\n", (unsigned long long)o->exec_id, o->takers, o->makers);
    assert_true(o->takers > 1000 && o->makers > 1000);
    free(o);
    world_close(&w);
}

static void test_random_market(void **state)
{
    (void)state;
    static const queue_cfg_t models[] = {
        {QUEUE_RISK_AVERSE, 0}, {QUEUE_PROB_POWER, 3}, {QUEUE_PROB_LOG2, 0}, {QUEUE_OPTIMISTIC, 0}, {QUEUE_L3, 0}};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        sim_venue_cfg_t cfg = cfg_plain;
        cfg.queue           = models[i];
        cfg.trades_take     = i % 2;
        random_market(&cfg);
    }
}

CASE(test_bytes_are_a_snapshot)
{
    order(w, SIDE_BUY, 1000, 30);
    order(w, SIDE_SELL, 1015, 30);
    const size_t bytes = (sim_venue_footprint(&cfg_plain) + 4095) / 4096 * 4096;
    world_t     *copy  = malloc(sizeof *copy);
    *copy              = *w;
    copy->out.reports  = copy->reports;
    copy->venue        = aligned_alloc(4096, bytes);
    memcpy(copy->venue, w->venue, sim_venue_footprint(&cfg_plain));
    world_t *both[] = {w, copy};
    for (unsigned i = 0; i < 2; i++) {
        feed_trade(both[i], SIDE_SELL, 1000, 110);
        order(both[i], SIDE_BUY, 1015, 25);
        feed_level(both[i], SIDE_SELL, 1005, 50);
    }
    assert_memory_equal(w->reports, copy->reports, sizeof w->reports);
    assert_true(sim_venue_hash(0, w->venue) == sim_venue_hash(0, copy->venue));
    world_close(copy);
    free(copy);
}

static void test_cfg_is_refused(void **state)
{
    (void)state;
    sim_venue_cfg_t cfg[]  = {cfg_plain, cfg_plain, cfg_plain, cfg_plain};
    cfg[0].instruments_max = 0;
    cfg[1].orders_max      = OWN_ROWS_MAX + 1;
    cfg[2].fills_max       = 0;
    cfg[3].book.far_slots  = 3;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(sim_venue_footprint(&cfg[i]), 0);
        assert_null(sim_venue_new(NULL, &cfg[i]));
        assert_true(strlen(err_msg()) > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cfg_is_refused),
        cmocka_unit_test(test_taker_sweeps_levels_at_their_prices_and_rests),
        cmocka_unit_test(test_liquidity_is_not_used_twice),
        cmocka_unit_test(test_ioc_and_market_rest_expires),
        cmocka_unit_test(test_fok_takes_all_or_nothing),
        cmocka_unit_test(test_post_only_never_takes),
        cmocka_unit_test(test_door_refuses),
        cmocka_unit_test(test_sweep_of_too_many_levels_is_rejected),
        cmocka_unit_test(test_queue_ahead_is_used_up_before_us),
        cmocka_unit_test(test_queue_shrinks_with_its_level),
        cmocka_unit_test(test_two_own_orders_share_one_trade),
        cmocka_unit_test(test_better_price_goes_first_and_trade_is_used_once),
        cmocka_unit_test(test_trade_through_us_fills_at_our_price),
        cmocka_unit_test(test_crossing_book_fills_at_our_price_up_to_its_quantity),
        cmocka_unit_test(test_parts_count_when_complete),
        cmocka_unit_test(test_replace_keeps_or_loses_its_place),
        cmocka_unit_test(test_replace_to_what_is_filled_is_refused),
        cmocka_unit_test(test_fill_before_cancel_refuses_the_cancel),
        cmocka_unit_test(test_broken_feed_matches_nothing_and_keeps_orders),
        cmocka_unit_test(test_gap_in_rpt_seq_breaks_also_after_takes),
        cmocka_unit_test(test_full_output_changes_nothing),
        cmocka_unit_test(test_fees_are_rounded_against_us),
        cmocka_unit_test(test_random_market),
        cmocka_unit_test(test_bytes_are_a_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
