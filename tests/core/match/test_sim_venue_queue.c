/* sim_venue: our place in the queue, by every model: guessed from levels, exact by order.
 *
 * Invariants   no quantity counts twice: a trade and the book message after it, one trade for two orders of ours, taking
 *              what a trade has taken; every trade counts anew; a stranger's delete moves us by its quantity, no more; who
 *              loses his place stands behind us. At random by order: the same flow through a slow market, lists of orders
 *              with ours among them: the same quantity ahead and the same fills after every message. On a recorded one
 *              (LOBSTER, AAPL, one hour): orders of ours at the touch, ahead and fills against the orders that stood there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapters/files/lobster.h"
#include "core/match/id_map.h"
#include "core/match/sim_venue.h"

#define CAP 128u
#define WHOLE (BOOK_FLAG_FIRST | BOOK_FLAG_LAST)

typedef struct world {
    sim_venue_t  *venue;
    exec_report_t reports[CAP];
    exec_out_t    out;
    uint64_t      rpt_seq, ids;
    int64_t       ts_ns;
} world_t;

static void world_open(world_t *w, queue_cfg_t queue, uint32_t trades_take, int64_t tick, uint32_t orders)
{
    const sim_venue_cfg_t  cfg  = {.session         = 1,
                                   .instruments_max = 1,
                                   .orders_max      = 16,
                                   .fills_max       = 16,
                                   .trades_take     = trades_take,
                                   .queue           = queue,
                                   .mbo             = {.orders_max = orders, .levels_max = 4096},
                                   .book            = {.window_ticks = 4096, .far_slots = 4096}};
    const instrument_def_t def  = {.instrument_id = 1,
                                   .venue_id      = 1,
                                   .kind          = INSTRUMENT_LINEAR,
                                   .px_exp        = 4,
                                   .money_exp     = 2,
                                   .settle_ccy    = ccy_pack("USD"),
                                   .lot           = 1,
                                   .min_qty       = 1,
                                   .mult          = 1};
    const tick_band_t      band = {.px_from = 0, .tick = tick};
    instrument_t           ins;
    *w             = (world_t){.out = {.reports = w->reports, .cap = CAP}, .ts_ns = 1000};
    const size_t n = (sim_venue_footprint(&cfg) + 4095) / 4096 * 4096;
    w->venue       = sim_venue_new(aligned_alloc(4096, n), &cfg);
    assert_non_null(w->venue);
    assert_true(sim_venue_reports_max(w->venue) <= CAP);
    assert_int_equal(instrument_init(&ins, &def, "TEST", &band, 1), ERR_OK);
    assert_int_equal(sim_venue_instrument(w->venue, &ins, &(fee_cfg_t){0}), ERR_OK);
}

static void world_close(world_t *w)
{
    free(w->venue);
}

static void market(world_t *w, msg_type_t type, const void *body, const void *tail, uint32_t count)
{
    w->out.count    = 0;
    const msg_t msg = {.type = type, .tail_count = count, .body = body, .tail = tail};
    assert_int_equal(sim_venue_market(w->venue, &msg, ++w->ts_ns, &w->out), ERR_OK);
}

static void levels(world_t *w, uint32_t flags, const level_t *level, uint16_t bids, uint16_t asks)
{
    const book_update_t upd = {
        .instrument_id = 1, .flags = flags, .rpt_seq = ++w->rpt_seq, .bid_count = bids, .ask_count = asks};
    market(w, MSG_BOOK_UPDATE, &upd, level, (uint32_t)bids + asks);
}

static void bid(world_t *w, int64_t px, int64_t qty)
{
    levels(w, WHOLE, &(level_t){px, qty}, 1, 0);
}

static void trade(world_t *w, side_t aggressor, int64_t px, int64_t qty)
{
    const trade_t t = {.instrument_id = 1, .aggressor_side = (uint8_t)aggressor, .px = px, .qty = qty};
    market(w, MSG_TRADE, &t, NULL, 0);
}

static void orders(world_t *w, uint32_t flags, const mbo_entry_t *entries, uint32_t count)
{
    const mbo_update_t upd = {
        .instrument_id = 1, .flags = flags, .rpt_seq = ++w->rpt_seq, .entry_count = (uint16_t)count};
    market(w, MSG_MBO_UPDATE, &upd, entries, count);
}

static void entry(world_t *w, mbo_action_t action, uint64_t id, side_t side, int64_t px, int64_t qty)
{
    orders(w, WHOLE,
           &(mbo_entry_t){.order_id = id, .px = px, .qty = qty, .action = (uint8_t)action, .side = (uint8_t)side}, 1);
}

static void ask(world_t *w, order_action_t action, uint64_t orig, side_t side, int64_t px, int64_t qty, tif_t tif)
{
    w->out.count          = 0;
    const order_req_t req = {.cl_ord_id      = ++w->ids,
                             .orig_cl_ord_id = orig,
                             .instrument_id  = 1,
                             .px             = px,
                             .qty            = qty,
                             .action         = (uint8_t)action,
                             .side           = (uint8_t)side,
                             .ord_type       = ORD_TYPE_LIMIT,
                             .tif            = (uint8_t)tif};
    assert_int_equal(sim_venue_request(w->venue, &req, ++w->ts_ns, &w->out), ERR_OK);
}

static uint64_t order(world_t *w, side_t side, int64_t px, int64_t qty)
{
    ask(w, ORDER_ACTION_NEW, 0, side, px, qty, TIF_GTC);
    return w->ids;
}

/* What the last call filled of an order; of all of them when it is 0. */
static int64_t filled(const world_t *w, uint64_t id)
{
    int64_t qty = 0;
    for (uint32_t i = 0; i < w->out.count; i++) {
        qty += id == 0 || w->reports[i].cl_ord_id == id ? w->reports[i].last_qty : 0;
    }
    return qty;
}

static int64_t ahead(world_t *w, uint64_t id)
{
    return sim_venue_ahead(w->venue, id);
}

/* ---- by price ---------------------------------------------------------------------------------------------------- */

static void by_price(world_t *w, queue_cfg_t queue, uint32_t trades_take)
{
    world_open(w, queue, trades_take, 5, 0);
    levels(w, WHOLE | BOOK_FLAG_SNAPSHOT, (level_t[]){{1000, 100}, {1010, 50}}, 1, 1);
}

static void test_a_cancel_is_shared_by_the_model(void **state)
{
    (void)state;
    static const struct {
        queue_cfg_t queue;
        int64_t     first, second; /* ahead after 100 + 100 shrink to 150, then to 50 */
    } cases[] = {{{QUEUE_RISK_AVERSE, 0}, 100, 50},
                 {{QUEUE_L3, 0}, 100, 50},        /* not by order: as risk averse */
                 {{QUEUE_PROB_POWER, 1}, 75, 25}, /* half of 50; then half of 100 */
                 {{QUEUE_OPTIMISTIC, 0}, 50, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world_t w;
        by_price(&w, cases[i].queue, 0);
        const uint64_t id = order(&w, SIDE_BUY, 1000, 10);
        assert_int_equal(ahead(&w, id), 100);
        bid(&w, 1000, 200); /* they come behind us */
        assert_int_equal(ahead(&w, id), 100);
        bid(&w, 1000, 150);
        assert_int_equal(ahead(&w, id), cases[i].first);
        bid(&w, 1000, 50);
        assert_int_equal(ahead(&w, id), cases[i].second);
        assert_int_equal(filled(&w, 0), 0);
        world_close(&w);
    }
}

/* The quantity of a trade is taken off what the book shows later as gone: also when messages about other levels come
 * between, and when the trade came in two. */
static void test_a_trade_and_its_book_message_count_once(void **state)
{
    (void)state;
    for (unsigned take = 0; take < 2; take++) {
        world_t w;
        by_price(&w, (queue_cfg_t){QUEUE_OPTIMISTIC, 0}, take);
        const uint64_t id = order(&w, SIDE_BUY, 1000, 10);
        trade(&w, SIDE_SELL, 1000, 20);
        assert_int_equal(ahead(&w, id), 80);
        bid(&w, 990, 7);
        assert_int_equal(ahead(&w, id), 80);
        trade(&w, SIDE_SELL, 1000, 10);
        bid(&w, 990, 8);
        bid(&w, 1000, 70); /* those 30 */
        assert_int_equal(ahead(&w, id), 70);
        bid(&w, 1000, 60); /* and a cancel */
        assert_int_equal(ahead(&w, id), 60);
        trade(&w, SIDE_NONE, 1000, 15); /* of whom nobody knows: moves nobody, but is no cancel either */
        bid(&w, 1000, 50);
        assert_int_equal(ahead(&w, id), 50);
        world_close(&w);
    }
}

/* A trade that the book has told explains no cancel that comes later; what we take ourselves is none either. Strangers
 * stand behind us here, so that the two are told apart. */
static void test_what_was_told_is_told_once(void **state)
{
    (void)state;
    world_t w;
    by_price(&w, (queue_cfg_t){QUEUE_OPTIMISTIC, 0}, 0);
    uint64_t id = order(&w, SIDE_BUY, 1000, 10);
    bid(&w, 1000, 200);
    trade(&w, SIDE_SELL, 1000, 20);
    bid(&w, 1000, 180);
    assert_int_equal(ahead(&w, id), 80);
    bid(&w, 1000, 160);
    assert_int_equal(ahead(&w, id), 60);
    ask(&w, ORDER_ACTION_REPLACE, id, SIDE_BUY, 1000, 10, TIF_GTC); /* the same terms: the same place */
    assert_int_equal(ahead(&w, id), 60);
    id = order(&w, SIDE_SELL, 1010, 10);
    levels(&w, WHOLE, &(level_t){1010, 100}, 0, 1);
    ask(&w, ORDER_ACTION_NEW, 0, SIDE_BUY, 1010, 20, TIF_IOC);
    assert_int_equal(filled(&w, 0), 20);
    bid(&w, 990, 3);
    assert_int_equal(ahead(&w, id), 50);
    world_close(&w);
}

/* A trade between the parts of a book message takes nothing off the view: the message goes on as it began. */
static void test_a_trade_between_two_parts(void **state)
{
    (void)state;
    world_t w;
    by_price(&w, (queue_cfg_t){QUEUE_RISK_AVERSE, 0}, 1);
    levels(&w, BOOK_FLAG_FIRST, &(level_t){990, 5}, 1, 0);
    trade(&w, SIDE_BUY, 1010, 45);
    levels(&w, BOOK_FLAG_LAST, &(level_t){1010, 30}, 0, 1);
    ask(&w, ORDER_ACTION_NEW, 0, SIDE_BUY, 1010, 50, TIF_IOC);
    assert_int_equal(filled(&w, 0), 30);
    world_close(&w);
}

/* Two trades of the same size at the same price are two. */
static void test_every_trade_counts_anew(void **state)
{
    (void)state;
    world_t w;
    by_price(&w, (queue_cfg_t){QUEUE_PROB_LOG, 0}, 0);
    const uint64_t id = order(&w, SIDE_BUY, 1000, 50);
    trade(&w, SIDE_SELL, 1000, 100);
    assert_int_equal(filled(&w, id), 0);
    for (unsigned i = 0; i < 5; i++) {
        trade(&w, SIDE_SELL, 1000, 10);
        assert_int_equal(filled(&w, id), 10);
    }
    assert_int_equal(ahead(&w, id), -1);
    world_close(&w);
}

/* What a trade took off the offers is not there for an order that comes before the book says so. */
static void test_taking_meets_the_book_after_the_trade(void **state)
{
    (void)state;
    for (unsigned take = 0; take < 2; take++) {
        world_t w;
        by_price(&w, (queue_cfg_t){QUEUE_RISK_AVERSE, 0}, take);
        trade(&w, SIDE_BUY, 1010, 45);
        ask(&w, ORDER_ACTION_NEW, 0, SIDE_BUY, 1010, 50, TIF_IOC);
        assert_int_equal(filled(&w, 0), take ? 5 : 50);
        levels(&w, WHOLE, &(level_t){1010, 30}, 0, 1); /* the book speaks */
        ask(&w, ORDER_ACTION_NEW, 0, SIDE_BUY, 1010, 50, TIF_IOC);
        assert_int_equal(filled(&w, 0), 30);
        world_close(&w);
    }
}

/* Two orders of ours are not filled by the same trade, nor by the same offers; and what one takes is no stranger's cancel
 * ahead of another. */
static void test_no_liquidity_for_two_orders(void **state)
{
    (void)state;
    world_t w;
    by_price(&w, (queue_cfg_t){QUEUE_OPTIMISTIC, 0}, 0);
    const uint64_t one = order(&w, SIDE_BUY, 1000, 30), two = order(&w, SIDE_BUY, 1000, 30);
    trade(&w, SIDE_SELL, 1000, 140);
    assert_int_equal(filled(&w, one), 30);
    assert_int_equal(filled(&w, two), 10);
    levels(&w, WHOLE, &(level_t){1010, 50}, 0, 1);
    const uint64_t sell = order(&w, SIDE_SELL, 1010, 10);
    ask(&w, ORDER_ACTION_NEW, 0, SIDE_BUY, 1010, 20, TIF_IOC); /* 20 of the strangers' 50 */
    assert_int_equal(filled(&w, 0), 20);
    bid(&w, 990, 3);
    assert_int_equal(ahead(&w, sell), 30); /* not more is visible */
    ask(&w, ORDER_ACTION_NEW, 0, SIDE_BUY, 1010, 50, TIF_IOC);
    assert_int_equal(filled(&w, 0), 30);
    world_close(&w);
}

/* ---- by order, by hand ------------------------------------------------------------------------------------------- */

static void by_order(world_t *w, queue_cfg_t queue)
{
    world_open(w, queue, 0, 5, 1024);
    const mbo_entry_t first[] = {{.order_id = 11, .px = 1000, .qty = 10, .action = MBO_ADD, .side = SIDE_BUY},
                                 {.order_id = 12, .px = 1000, .qty = 20, .action = MBO_ADD, .side = SIDE_BUY},
                                 {.order_id = 13, .px = 1000, .qty = 30, .action = MBO_ADD, .side = SIDE_BUY},
                                 {.order_id = 21, .px = 1010, .qty = 40, .action = MBO_ADD, .side = SIDE_SELL}};
    orders(w, WHOLE | BOOK_FLAG_SNAPSHOT, first, 4);
}

static void test_one_delete_moves_us_by_its_quantity(void **state)
{
    (void)state;
    world_t w;
    by_order(&w, (queue_cfg_t){QUEUE_L3, 0});
    const uint64_t id = order(&w, SIDE_BUY, 1000, 15);
    assert_int_equal(ahead(&w, id), 60);
    entry(&w, MBO_ADD, 14, SIDE_BUY, 1000, 40);
    assert_int_equal(ahead(&w, id), 60);
    entry(&w, MBO_CANCEL, 12, SIDE_BUY, 1000, 20);
    assert_int_equal(ahead(&w, id), 40);
    entry(&w, MBO_CANCEL, 14, SIDE_BUY, 1000, 40); /* behind us */
    assert_int_equal(ahead(&w, id), 40);
    entry(&w, MBO_CANCEL, 13, SIDE_BUY, 1000, 5); /* in part */
    assert_int_equal(ahead(&w, id), 35);
    entry(&w, MBO_MODIFY, 13, SIDE_BUY, 1000, 20); /* less: keeps its place */
    assert_int_equal(ahead(&w, id), 30);
    entry(&w, MBO_MODIFY, 11, SIDE_BUY, 1000, 12); /* more: behind us */
    assert_int_equal(ahead(&w, id), 20);
    entry(&w, MBO_MODIFY, 13, SIDE_BUY, 995, 20); /* away */
    assert_int_equal(ahead(&w, id), 0);
    entry(&w, MBO_MODIFY, 13, SIDE_BUY, 1000, 20); /* and back, behind us */
    assert_int_equal(ahead(&w, id), 0);
    trade(&w, SIDE_SELL, 1000, 12); /* told by its FILL as well */
    assert_int_equal(filled(&w, id), 0);
    entry(&w, MBO_FILL, 11, SIDE_BUY, 1000, 12);
    assert_int_equal(filled(&w, id), 12);
    entry(&w, MBO_FILL, 13, SIDE_BUY, 1000, 20);
    assert_int_equal(filled(&w, id), 3);
    world_close(&w);
}

static void test_fills_behind_us_and_at_worse_prices_are_ours(void **state)
{
    (void)state;
    world_t w;
    by_order(&w, (queue_cfg_t){QUEUE_L3, 0});
    const uint64_t good = order(&w, SIDE_BUY, 1005, 4), at = order(&w, SIDE_BUY, 1000, 6);
    assert_int_equal(ahead(&w, good), 0);
    entry(&w, MBO_FILL, 11, SIDE_BUY, 1000, 10); /* of ten, four meet the better price; the rest its own */
    assert_int_equal(filled(&w, good), 4);
    assert_int_equal(filled(&w, at), 0);
    assert_int_equal(ahead(&w, at), 50);
    entry(&w, MBO_ADD, 15, SIDE_BUY, 995, 9);
    entry(&w, MBO_FILL, 15, SIDE_BUY, 995, 5); /* through us */
    assert_int_equal(filled(&w, at), 5);
    entry(&w, MBO_ADD, 22, SIDE_SELL, 1000, 3); /* a seller whom only our bid would meet */
    assert_int_equal(filled(&w, at), 0);        /* strangers bid there still: crossed, nothing is LIVE */
    entry(&w, MBO_CANCEL, 12, SIDE_BUY, 1000, 20);
    entry(&w, MBO_CANCEL, 13, SIDE_BUY, 1000, 30);
    assert_int_equal(filled(&w, at), 1); /* LIVE again, and it stands at our price */
    world_close(&w);
}

/* What we took is gone for good, whatever the level does: others come behind it, and it leaves with its orders. */
static void test_what_we_took_does_not_come_back(void **state)
{
    (void)state;
    static const struct {
        mbo_action_t action;
        uint64_t     id;
        int64_t      qty, gets;              /* what an order to take 100 gets after it */
    } steps[] = {{MBO_ADD, 22, 10, 25 + 10}, /* 15 of the 40 were taken before */
                 {MBO_CANCEL, 21, 30, 0},    {MBO_FILL, 21, 5, 0},    {MBO_MODIFY, 22, 30, 30}, {MBO_CANCEL, 21, 5, 0},
                 {MBO_ADD, 23, 5, 5},        {MBO_CANCEL, 22, 30, 0}, {MBO_ADD, 24, 1, 1}};
    world_t w;
    by_order(&w, (queue_cfg_t){QUEUE_L3, 0});
    ask(&w, ORDER_ACTION_NEW, 0, SIDE_BUY, 1010, 15, TIF_IOC);
    assert_int_equal(filled(&w, 0), 15);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        entry(&w, steps[i].action, steps[i].id, SIDE_SELL, 1010, steps[i].qty);
        ask(&w, ORDER_ACTION_NEW, 0, SIDE_BUY, 1010, 100, TIF_IOC);
        assert_int_equal(filled(&w, 0), steps[i].gets);
    }
    world_close(&w);
}

static void test_by_order_with_the_other_models(void **state)
{
    (void)state;
    world_t w;
    by_order(&w, (queue_cfg_t){QUEUE_RISK_AVERSE, 0});
    const uint64_t id = order(&w, SIDE_BUY, 1000, 15);
    assert_int_equal(ahead(&w, id), 60);
    entry(&w, MBO_ADD, 14, SIDE_BUY, 1000, 40);
    entry(&w, MBO_CANCEL, 12, SIDE_BUY, 1000, 20);
    assert_int_equal(ahead(&w, id), 60); /* behind us, it says */
    trade(&w, SIDE_SELL, 1000, 65);
    assert_int_equal(filled(&w, id), 5);
    entry(&w, MBO_FILL, 14, SIDE_BUY, 1000, 40);
    assert_int_equal(filled(&w, id), 0);
    world_close(&w);
}

static void test_faults_close_the_market_until_a_snapshot(void **state)
{
    (void)state;
    world_t w;
    by_order(&w, (queue_cfg_t){QUEUE_L3, 0});
    const uint64_t id = order(&w, SIDE_BUY, 1000, 15);
    entry(&w, MBO_CANCEL, 999, SIDE_BUY, 1000, 1); /* nobody knows it */
    order(&w, SIDE_BUY, 1000, 1);
    assert_int_equal(w.reports[0].reject_code, VENUE_REJECT_CLOSED);
    entry(&w, MBO_ADD, 50, SIDE_BUY, 995, 1);
    order(&w, SIDE_BUY, 1000, 1);
    assert_int_equal(w.reports[0].reject_code, VENUE_REJECT_CLOSED);
    const mbo_entry_t again[] = {{.order_id = 13, .px = 1000, .qty = 25, .action = MBO_ADD, .side = SIDE_BUY},
                                 {.order_id = 21, .px = 1010, .qty = 40, .action = MBO_ADD, .side = SIDE_SELL}};
    orders(&w, WHOLE | BOOK_FLAG_SNAPSHOT, again, 2);
    assert_int_equal(ahead(&w, id), 25); /* not more is there */
    w.rpt_seq++;                         /* a gap */
    for (uint64_t i = 51; i < 53; i++) { /* what comes behind it in order heals nothing */
        entry(&w, MBO_ADD, i, SIDE_BUY, 995, 1);
        order(&w, SIDE_BUY, 1000, 1);
        assert_int_equal(w.reports[0].reject_code, VENUE_REJECT_CLOSED);
    }
    w.rpt_seq++; /* nor does what was lost before a snapshot matter */
    orders(&w, WHOLE | BOOK_FLAG_SNAPSHOT, again, 2);
    order(&w, SIDE_BUY, 1000, 1);
    assert_int_equal(w.reports[0].exec_type, EXEC_TYPE_NEW);
    entry(&w, 9, 13, SIDE_BUY, 1000, 1); /* no such action */
    order(&w, SIDE_BUY, 1000, 1);
    assert_int_equal(w.reports[0].reject_code, VENUE_REJECT_CLOSED);
    world_close(&w);
    world_open(&w, (queue_cfg_t){QUEUE_L3, 0}, 0, 5, 0);
    const mbo_update_t upd = {.instrument_id = 1, .flags = WHOLE | BOOK_FLAG_SNAPSHOT};
    assert_int_equal(sim_venue_market(w.venue, &(msg_t){.type = MSG_MBO_UPDATE, .body = &upd}, 1, &w.out), ERR_STATE);
    world_close(&w);
}

/* After a snapshot our place may lie inside of an order: its front is ahead of us, and is filled first; its back goes
 * first when a part of it is cancelled. Two orders of ours behind the same front wait for it once. */
static void test_a_place_inside_an_order(void **state)
{
    (void)state;
    const mbo_entry_t again[] = {{.order_id = 50, .px = 1000, .qty = 40, .action = MBO_ADD, .side = SIDE_BUY},
                                 {.order_id = 21, .px = 1010, .qty = 40, .action = MBO_ADD, .side = SIDE_SELL}};
    for (unsigned fill = 0; fill < 2; fill++) {
        world_t w;
        by_order(&w, (queue_cfg_t){QUEUE_L3, 0});
        const uint64_t one = order(&w, SIDE_BUY, 1000, 8), two = order(&w, SIDE_BUY, 1000, 8);
        entry(&w, MBO_CANCEL, 12, SIDE_BUY, 1000, 20);
        entry(&w, MBO_CANCEL, 13, SIDE_BUY, 1000, 30);
        orders(&w, WHOLE | BOOK_FLAG_SNAPSHOT, again, 2);
        assert_int_equal(ahead(&w, one), 10);
        if (fill == 1) {
            entry(&w, MBO_FILL, 50, SIDE_BUY, 1000, 22);
            assert_int_equal(filled(&w, one), 8);
            assert_int_equal(filled(&w, two), 4);
            assert_int_equal(ahead(&w, two), 0);
        } else {
            entry(&w, MBO_CANCEL, 50, SIDE_BUY, 1000, 30);
            assert_int_equal(ahead(&w, one), 10);
            entry(&w, MBO_CANCEL, 50, SIDE_BUY, 1000, 3);
            assert_int_equal(ahead(&w, two), 7);
        }
        world_close(&w);
    }
}

/* While the book is crossed a FILL is no trade that we could have had. */
static void test_no_fills_while_crossed(void **state)
{
    (void)state;
    world_t w;
    by_order(&w, (queue_cfg_t){QUEUE_L3, 0});
    const uint64_t id = order(&w, SIDE_BUY, 1000, 8);
    entry(&w, MBO_ADD, 22, SIDE_SELL, 1000, 3);
    entry(&w, MBO_FILL, 11, SIDE_BUY, 1000, 10);
    entry(&w, MBO_FILL, 12, SIDE_BUY, 1000, 20);
    entry(&w, MBO_ADD, 23, SIDE_BUY, 990, 9);
    entry(&w, MBO_FILL, 23, SIDE_BUY, 990, 9); /* through us, were it a trade */
    assert_int_equal(filled(&w, id), 0);
    assert_int_equal(ahead(&w, id), 30);
    world_close(&w);
}

/* A tick wider than orders by price are counted in. */
static void test_a_tick_of_any_size(void **state)
{
    (void)state;
    const int64_t tick = (INT64_C(1) << 44) + 1;
    world_t       w;
    world_open(&w, (queue_cfg_t){QUEUE_L3, 0}, 0, tick, 64);
    orders(&w, WHOLE | BOOK_FLAG_SNAPSHOT, NULL, 0);
    entry(&w, MBO_ADD, 1, SIDE_BUY, 3 * tick, 4);
    const uint64_t id = order(&w, SIDE_BUY, 3 * tick, 5);
    assert_int_equal(ahead(&w, id), 4);
    world_close(&w);
}

/* ---- by order, at random, against lists ---------------------------------------------------------------------------- */

#define TICKS 10
#define LIST 400

typedef struct item {
    uint64_t id;
    int64_t  qty;
    bool     ours;
} item_t;

typedef struct slow { /* strangers' and our orders of a tick in one list; bids below mid, asks from it on */
    item_t   list[TICKS][LIST];
    unsigned count[TICKS];
    int64_t  got[CAP]; /* what the message at hand filled, by our id % CAP */
} slow_t;

static void slow_remove(slow_t *s, unsigned tick, unsigned i)
{
    memmove(&s->list[tick][i], &s->list[tick][i + 1], (--s->count[tick] - i) * sizeof(item_t));
}

static void slow_put(slow_t *s, unsigned tick, item_t item)
{
    assert_true(s->count[tick] < LIST);
    s->list[tick][s->count[tick]++] = item;
}

static int64_t slow_take(slow_t *s, unsigned tick, unsigned *i, int64_t qty)
{
    item_t       *item = &s->list[tick][*i];
    const int64_t take = item->qty < qty ? item->qty : qty;
    s->got[item->id % CAP] += take;
    item->qty -= take;
    if (item->qty == 0) {
        slow_remove(s, tick, (*i)--);
    }
    return qty - take;
}

/* A stranger's order at (tick, n) is filled: ours at better ticks, best first, then ours before it. */
static void slow_fill(slow_t *s, unsigned tick, uint64_t id, int64_t qty, bool bids)
{
    int64_t left = qty;
    for (unsigned k = 0; k < TICKS / 2 && left > 0; k++) {
        const unsigned t = bids ? TICKS / 2 - 1 - k : TICKS / 2 + k;
        if (bids ? t < tick : t > tick) {
            break;
        }
        for (unsigned i = 0; i < s->count[t] && left > 0; i++) {
            if (t == tick && s->list[t][i].id == id && !s->list[t][i].ours) {
                break;
            }
            if (s->list[t][i].ours) {
                left = slow_take(s, t, &i, left);
            }
        }
    }
    for (unsigned i = 0; i < s->count[tick]; i++) {
        if (s->list[tick][i].id == id && !s->list[tick][i].ours) {
            s->list[tick][i].qty -= qty;
            if (s->list[tick][i].qty == 0) {
                slow_remove(s, tick, i);
            }
            return;
        }
    }
}

static uint64_t rng;

static uint64_t rnd(uint64_t n)
{
    rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
    return (rng >> 33) % n;
}

static void slow_compare(slow_t *s, world_t *w)
{
    for (uint32_t i = 0; i < w->out.count; i++) {
        s->got[w->reports[i].cl_ord_id % CAP] -= w->reports[i].last_qty;
    }
    for (unsigned i = 0; i < CAP; i++) {
        assert_int_equal(s->got[i], 0);
    }
    for (unsigned t = 0; t < TICKS; t++) {
        int64_t strangers = 0;
        for (unsigned i = 0; i < s->count[t]; i++) {
            if (s->list[t][i].ours) {
                assert_int_equal(ahead(w, s->list[t][i].id), strangers);
            } else {
                strangers += s->list[t][i].qty;
            }
        }
    }
}

static void test_random_orders_against_lists(void **state)
{
    (void)state;
    const char *text = getenv("HWAL_SEED");
    rng              = text != NULL ? strtoull(text, NULL, 0) : 0x13f1f0ULL;
    printf("seed %#llx (HWAL_SEED)\n", (unsigned long long)rng);
    static slow_t  s;
    static world_t w;
    const unsigned mid = TICKS / 2, steps = getenv("HWAL_QUICK") != NULL ? 20000 : 200000;
    unsigned       open = 0, fills = 0, kept = 0;
    uint64_t       next = 1000;
    memset(&s, 0, sizeof s);
    world_open(&w, (queue_cfg_t){QUEUE_L3, 0}, 0, 5, 4096);
    orders(&w, WHOLE | BOOK_FLAG_SNAPSHOT, NULL, 0);
    for (unsigned step = 0; step < steps; step++) {
        const unsigned t    = (unsigned)rnd(TICKS);
        const bool     bids = t < mid;
        const side_t   side = bids ? SIDE_BUY : SIDE_SELL;
        const int64_t  px = 1000 + 5 * (int64_t)t, qty = 1 + (int64_t)rnd(30);
        open = 0;
        for (unsigned k = 0; k < TICKS; k++) {
            for (unsigned i = 0; i < s.count[k]; i++) {
                open += s.list[k][i].ours;
            }
        }
        if (rnd(8) == 0) { /* something of ours: a new order, or one of this tick changed or cancelled */
            unsigned i = 0;
            while (i < s.count[t] && !s.list[t][i].ours) {
                i++;
            }
            if (i < s.count[t] && rnd(2)) {
                const item_t mine = s.list[t][i];
                if (rnd(2)) {
                    ask(&w, ORDER_ACTION_CANCEL, mine.id, side, 0, 0, TIF_GTC);
                    slow_remove(&s, t, i);
                } else if (mine.qty > 1) { /* less: it keeps its place */
                    const own_order_t *row =
                        own_at(sim_venue_orders(w.venue), own_find(sim_venue_orders(w.venue), mine.id));
                    ask(&w, ORDER_ACTION_REPLACE, mine.id, side, px, row->req.qty - 1, TIF_GTC);
                    s.list[t][i].qty--;
                    kept++;
                }
            } else if (open < 12) {
                slow_put(&s, t, (item_t){.id = order(&w, side, px, qty), .qty = qty, .ours = true});
            }
            w.out.count = 0;
            slow_compare(&s, &w);
            continue;
        }
        mbo_entry_t    entries[4];
        const unsigned count = 1 + (unsigned)rnd(4);
        unsigned       n     = 0;
        for (; n < count; n++) {
            unsigned i = s.count[t] ? (unsigned)rnd(s.count[t]) : 0;
            while (i < s.count[t] && s.list[t][i].ours) {
                i++;
            }
            const unsigned what = i < s.count[t] ? (unsigned)rnd(s.count[t] > 30 ? 3 : 8) : 9;
            item_t        *x    = &s.list[t][i];
            entries[n]          = (mbo_entry_t){.px = px, .side = (uint8_t)side};
            if (what < 2 || what == 2) { /* cancel or fill, of the first stranger half the time */
                if (what == 2 || rnd(2)) {
                    for (i = 0; s.list[t][i].ours; i++) {
                    }
                    x = &s.list[t][i];
                }
                const int64_t q     = rnd(2) ? x->qty : 1 + (int64_t)rnd((uint64_t)x->qty);
                entries[n].order_id = x->id;
                entries[n].qty      = q;
                entries[n].action   = what == 0 ? MBO_CANCEL : MBO_FILL;
                if (what != 0) {
                    slow_fill(&s, t, x->id, q, bids);
                } else if ((x->qty -= q) == 0) {
                    slow_remove(&s, t, i);
                }
            } else if (what == 3) { /* another quantity, or another price of the same side */
                const unsigned to   = rnd(2) ? t : (unsigned)(bids ? rnd(mid) : mid + rnd(TICKS - mid));
                entries[n].order_id = x->id;
                entries[n].qty      = qty;
                entries[n].action   = MBO_MODIFY;
                entries[n].px       = 1000 + 5 * (int64_t)to;
                if (to == t && qty <= x->qty) {
                    x->qty = qty;
                } else {
                    const item_t moved = {.id = x->id, .qty = qty};
                    slow_remove(&s, t, i);
                    slow_put(&s, to, moved);
                }
            } else {
                entries[n].order_id = ++next;
                entries[n].qty      = qty;
                entries[n].action   = MBO_ADD;
                slow_put(&s, t, (item_t){.id = next, .qty = qty});
            }
        }
        orders(&w, WHOLE, entries, n);
        fills += w.out.count;
        slow_compare(&s, &w);
    }
    printf("  %u fills, %u kept their place\n", fills, kept);
    assert_true(fills > steps / 100 && kept > 100);
    world_close(&w);
}

/* ---- a recorded market -------------------------------------------------------------------------------------------- */

#define ROWS 65536u

typedef struct row {
    int64_t px, qty;
    side_t  side;
    bool    before_us;
} row_t;

/* One order of ours at a time, at the best price of a side; which strangers stand before it is written down when it comes. */
static void test_lobster_hour(void **state)
{
    (void)state;
    char        path[512];
    const char *shared = getenv("HWAL_SHARED");
    snprintf(path, sizeof path, "%s/data/lobster/AAPL_2012-06-21_34200000_37800000_message_50.csv.gz",
             shared ? shared : "../shared");
    if (access(path, R_OK) != 0) {
        printf("SKIP %s is not there\n", path);
        skip();
    }
    lobster_t        *file;
    lobster_message_t m;
    id_slot_t        *map   = calloc(id_map_slots(ROWS), sizeof *map);
    row_t            *rows  = calloc(ROWS, sizeof *rows);
    uint32_t         *free_ = calloc(ROWS, sizeof *free_), free_count = ROWS;
    static world_t    w;
    const uint32_t    slots   = id_map_slots(ROWS);
    int64_t           mine_px = 0, mine_left = 0, mine_ahead = 0, shares = 0;
    side_t            mine_side = SIDE_BUY;
    uint64_t          mine = 0, placed = 0, known = 0, crossing = 0, deleted = 0, since = 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        free_[i] = i;
    }
    void *mem = aligned_alloc(4096, (lobster_footprint() + 4095) & ~(size_t)4095);
    assert_int_equal(lobster_open(mem, path, &file), ERR_OK);
    world_open(&w, (queue_cfg_t){QUEUE_L3, 0}, 0, 1, ROWS);
    orders(&w, WHOLE | BOOK_FLAG_SNAPSHOT, NULL, 0);
    while (lobster_message(file, &m) == ERR_OK) {
        const uint64_t id   = (uint64_t)m.order_id;
        uint32_t       row  = id == 0 ? ID_MAP_NONE : id_map_find(map, slots, id);
        int64_t        want = 0;
        if (m.type > LOBSTER_EXECUTE || (m.type != LOBSTER_NEW && row == ID_MAP_NONE)) {
            continue; /* orders from before the file, hidden ones, halts: not part of this market */
        }
        known++;
        if (m.type == LOBSTER_NEW) {
            row       = free_[--free_count];
            rows[row] = (row_t){.px = m.px, .qty = m.qty, .side = (side_t)m.side};
            id_map_put(map, slots, id, row);
            if (mine && m.side != mine_side && (mine_side == SIDE_BUY ? m.px <= mine_px : m.px >= mine_px)) {
                want = m.qty < mine_left ? m.qty : mine_left; /* in the record nobody was there to meet it */
                crossing++;
            }
        } else {
            row_t *x = &rows[row];
            if (mine && x->side == mine_side) {
                const bool worse = mine_side == SIDE_BUY ? x->px < mine_px : x->px > mine_px;
                if (x->px == mine_px && x->before_us) {
                    mine_ahead -= m.qty;
                    deleted += m.type != LOBSTER_EXECUTE;
                } else if (m.type == LOBSTER_EXECUTE && (worse || x->px == mine_px)) {
                    want = m.qty < mine_left ? m.qty : mine_left;
                }
            }
            x->qty -= m.qty;
            if (x->qty == 0) {
                id_map_drop(map, slots, id);
                free_[free_count++] = row;
            }
        }
        static const mbo_action_t actions[] = {0, MBO_ADD, MBO_CANCEL, MBO_CANCEL, MBO_FILL};
        entry(&w, actions[m.type], id, (side_t)m.side, m.px, m.qty);
        if (filled(&w, 0) != want) {
            fail_msg("line %llu: filled %lld, want %lld", (unsigned long long)m.line_no, (long long)filled(&w, 0),
                     (long long)want);
        }
        shares += want;
        mine_left -= want;
        mine = mine_left == 0 ? 0 : mine;
        if (mine && ahead(&w, mine) != mine_ahead) {
            fail_msg("line %llu: ahead %lld, want %lld", (unsigned long long)m.line_no, (long long)ahead(&w, mine),
                     (long long)mine_ahead);
        }
        if (mine && ++since > 300) { /* the market went away */
            ask(&w, ORDER_ACTION_CANCEL, mine, mine_side, 0, 0, TIF_GTC);
            mine = 0;
        }
        if (mine == 0 && known > 500 && m.type == LOBSTER_NEW) { /* beside, or a cent behind, who just came */
            int64_t best = 0;                                    /* of the other side: ours must rest */
            mine_side    = (side_t)m.side;
            mine_px      = m.px + (known % 3 == 0 ? 0 : mine_side == SIDE_BUY ? -100 : 100);
            for (uint32_t i = 0; i < slots; i++) {
                const row_t *x = &rows[map[i].row];
                if (map[i].id != 0 && x->side != mine_side &&
                    (best == 0 || (mine_side == SIDE_BUY ? x->px < best : x->px > best))) {
                    best = x->px;
                }
            }
            if (best != 0 && (mine_side == SIDE_BUY ? mine_px >= best : mine_px <= best)) {
                continue;
            }
            mine_ahead = 0;
            for (uint32_t i = 0; i < slots; i++) {
                row_t *x = &rows[map[i].row];
                if (map[i].id != 0) {
                    x->before_us = x->side == mine_side && x->px == mine_px;
                    mine_ahead += x->before_us ? x->qty : 0;
                }
            }
            mine_left = 1 + (int64_t)(known % 150);
            mine      = order(&w, mine_side, mine_px, mine_left);
            assert_int_equal(filled(&w, 0), 0);
            assert_int_equal(ahead(&w, mine), mine_ahead);
            since = 0;
            placed++;
        }
    }
    printf("  %llu messages, %llu orders of ours, %lld shares filled, %llu crossings, %llu cancels ahead\n",
           (unsigned long long)known, (unsigned long long)placed, (long long)shares, (unsigned long long)crossing,
           (unsigned long long)deleted);
    assert_true(placed > 50 && shares > 1000 && deleted > 100);
    lobster_close(file);
    free(mem);
    world_close(&w);
    free(map);
    free(rows);
    free(free_);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cancel_is_shared_by_the_model),
        cmocka_unit_test(test_a_trade_and_its_book_message_count_once),
        cmocka_unit_test(test_what_was_told_is_told_once),
        cmocka_unit_test(test_a_trade_between_two_parts),
        cmocka_unit_test(test_every_trade_counts_anew),
        cmocka_unit_test(test_taking_meets_the_book_after_the_trade),
        cmocka_unit_test(test_no_liquidity_for_two_orders),
        cmocka_unit_test(test_one_delete_moves_us_by_its_quantity),
        cmocka_unit_test(test_fills_behind_us_and_at_worse_prices_are_ours),
        cmocka_unit_test(test_what_we_took_does_not_come_back),
        cmocka_unit_test(test_by_order_with_the_other_models),
        cmocka_unit_test(test_faults_close_the_market_until_a_snapshot),
        cmocka_unit_test(test_a_place_inside_an_order),
        cmocka_unit_test(test_no_fills_while_crossed),
        cmocka_unit_test(test_a_tick_of_any_size),
        cmocka_unit_test(test_random_orders_against_lists),
        cmocka_unit_test(test_lobster_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
