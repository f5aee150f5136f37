/* Market data of the engine beyond levels: single orders (L3), one view of both, the trading day's statistics.
 *
 *  1. an instrument that is fed by single orders: snapshot, parts, gap, fault, recovery, ageing, crossing; orders are priced
 *     on it only while it is LIVE; snapshots are asked for; records show its best levels; a quote may lead it
 *  2. what an instrument is fed by is decided by its first book message; the other kind, and more than there is room for, is
 *     refused and changes nothing
 *  3. statistics: of each trade, also on a broken book; days begin with the engine's; sums that end are an ALARM; state and
 *     hash
 *  4. a random history of everything: a fresh engine fed the same, and a copy of the arena that goes on from the middle, end
 *     with the same hashes; statistics and L3 books as slow models say
 *  5. order types and times in force that only core/match knows are denied as unknown words
 *
 * Random histories print their seed; HWAL_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/engine_world.h"
#include "tests/lib/seeded.h"

#define MS NS_PER_MS
#define WHOLE (BOOK_FLAG_FIRST | BOOK_FLAG_LAST)
#define SNAPSHOT (BOOK_FLAG_SNAPSHOT | WHOLE)

static int setup(void **state)
{
    world_t *w = calloc(1, sizeof *w);
    world_open(w, 3, 1);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

static mbo_entry_t entry(mbo_action_t action, uint64_t id, side_t side, int64_t px, int64_t qty)
{
    return (mbo_entry_t){.order_id = id, .px = px, .qty = qty, .action = (uint8_t)action, .side = (uint8_t)side};
}

/* X LIVE by single orders after rpt_seq 1: bids 9990 x 5 + 7, 9980 x 1; ask 10010 x 9. */
static void live(world_t *w)
{
    const mbo_entry_t some[] = {entry(MBO_ADD, 1, SIDE_BUY, 9990, 5), entry(MBO_ADD, 2, SIDE_BUY, 9990, 7),
                                entry(MBO_ADD, 3, SIDE_BUY, 9980, 1), entry(MBO_ADD, 4, SIDE_SELL, 10010, 9)};
    assert_int_equal(world_mbo(w, 1, SNAPSHOT, 1, some, 4), ERR_OK);
}

static void is(const world_t *w, uint32_t id, feed_health_t health, feed_reason_t reason)
{
    feed_state_t feed;
    assert_true(engine_feed_record(w->engine, id, &feed));
    assert_string_equal(feed_health_str((feed_health_t)feed.health), feed_health_str(health));
    assert_string_equal(feed_reason_str((feed_reason_t)feed.reason), feed_reason_str(reason));
    assert_int_equal(view_health(engine_market(w->engine, id)), health);
}

static uint16_t buy(world_t *w)
{
    return world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1});
}

/* ---- 1 -------------------------------------------------------------------------------------------------------------- */
static void test_market_l3_is_priced_published_and_seen(void **state)
{
    world_t      *w = *state;
    book_update_t upd;
    level_t       levels[40];
    assert_int_equal(engine_market(w->engine, 1).kind, VIEW_L2);
    assert_int_equal(engine_market(w->engine, 9).kind, VIEW_NONE);
    assert_int_equal(buy(w), RISK_NO_REFERENCE_PRICE);
    live(w);
    is(w, 1, FEED_LIVE, FEED_REASON_NONE);
    const view_t v = engine_market(w->engine, 1);
    assert_int_equal(v.kind, VIEW_L3);
    assert_null(engine_book(w->engine, 1));
    assert_int_equal(view_ahead(v, 2), 5);
    assert_true(engine_book_record(w->engine, 1, 20, &upd, levels));
    assert_int_equal(upd.bid_count, 2);
    assert_int_equal(upd.ask_count, 1);
    assert_int_equal(upd.venue_seq, 1);
    assert_int_equal(upd.ts_event_ns, w->now + w->utc_ahead - 1);
    const level_t expected[] = {{9990, 12}, {9980, 1}, {10010, 9}};
    assert_memory_equal(levels, expected, sizeof expected);
    assert_int_equal(buy(w), RISK_ACCEPTED);
    assert_int_equal(
        world_order(w, (order_req_t){.side = SIDE_BUY, .ord_type = ORD_TYPE_MARKET, .tif = TIF_IOC, .qty = 1}),
        RISK_ACCEPTED);
    assert_true(((const order_req_t *)world_out_first(w, MSG_ORDER_REQUEST))->px >= 10010); /* the collar, on the ask */
}

static void test_market_l3_marks_after_the_last_part(void **state)
{
    world_t   *w = *state;
    position_t position;
    live(w);
    assert_int_equal(buy(w), RISK_ACCEPTED);
    const exec_report_t fill = world_fill(w, 1, SIDE_BUY, 9990, 1);
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &fill), ERR_OK);
    assert_true(engine_position_record(w->engine, 1, 1, &position));
    const int64_t     mark = position.mark_px;
    const mbo_entry_t up   = entry(MBO_ADD, 9, SIDE_BUY, 10000, 1);
    assert_int_equal(world_mbo(w, 1, BOOK_FLAG_FIRST, 2, &up, 1), ERR_OK);
    assert_true(engine_position_record(w->engine, 1, 1, &position));
    assert_int_equal(position.mark_px, mark);
    assert_int_equal(world_mbo(w, 1, BOOK_FLAG_LAST, 3, NULL, 0), ERR_OK);
    assert_true(engine_position_record(w->engine, 1, 1, &position));
    assert_int_equal(position.mark_px, mark + 10);
}

static void test_market_l3_gap_breaks_until_a_snapshot(void **state)
{
    world_t          *w    = *state;
    const mbo_entry_t more = entry(MBO_ADD, 9, SIDE_BUY, 9991, 1);
    live(w);
    world_tick(w, 2 * NS_PER_S - 1); /* a first question was due when it was defined */
    assert_int_equal(world_mbo(w, 1, WHOLE, 2, NULL, 0), ERR_OK);
    assert_int_equal(world_mbo(w, 1, WHOLE, 4, &more, 1), ERR_OK);
    is(w, 1, FEED_BROKEN, FEED_REASON_LOST);
    const alarm_t *alarm = world_out_first(w, MSG_ALARM);
    assert_non_null(alarm);
    assert_int_equal(alarm->kind, ALARM_FEED);
    assert_int_equal(alarm->code, FEED_REASON_LOST);
    const snapshot_req_t *ask = world_out_first(w, MSG_SNAPSHOT_REQUEST);
    assert_non_null(ask);
    assert_int_equal(ask->instrument_id, 1);
    assert_int_equal(ask->reason, FEED_REASON_LOST);
    assert_int_equal(buy(w), RISK_FEED_GAP);
    assert_int_equal(world_mbo(w, 1, WHOLE, 5, &more, 1), ERR_OK); /* not applied */
    assert_false(view_ahead(engine_market(w->engine, 1), 9) >= 0);
    world_tick(w, NS_PER_S);
    assert_int_equal(world_out_count(w, MSG_SNAPSHOT_REQUEST), 1); /* again */
    assert_int_equal(world_mbo(w, 1, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST, 9, &more, 1), ERR_OK);
    is(w, 1, FEED_RECOVERING, FEED_REASON_LOST);
    assert_int_not_equal(buy(w), RISK_ACCEPTED); /* too old, too */
    const mbo_entry_t ask_side = entry(MBO_ADD, 10, SIDE_SELL, 10010, 1);
    assert_int_equal(world_mbo(w, 1, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_LAST, 10, &ask_side, 1), ERR_OK);
    is(w, 1, FEED_LIVE, FEED_REASON_NONE);
    assert_int_equal(buy(w), RISK_ACCEPTED);
}

static void test_market_l3_faults_and_feed_states(void **state)
{
    world_t          *w    = *state;
    const mbo_entry_t none = entry(MBO_CANCEL, 99, SIDE_BUY, 9990, 1);
    live(w);
    assert_int_equal(world_mbo(w, 1, WHOLE, 2, &none, 1), ERR_OK);
    is(w, 1, FEED_BROKEN, FEED_REASON_LOST);
    live(w);
    const mbo_update_t lying = {.instrument_id = 1, .flags = WHOLE, .rpt_seq = 2, .entry_count = 2}; /* one is there */
    assert_int_equal(world_apply(w, &(msg_t){.type = MSG_MBO_UPDATE, .body = &lying, .tail = &none, .tail_count = 1}),
                     ERR_OK);
    is(w, 1, FEED_BROKEN, FEED_REASON_GARBLED);
    live(w);
    assert_int_equal(world_apply(w, &(msg_t){.type = MSG_MBO_UPDATE, .body = &lying}), ERR_OK);
    is(w, 1, FEED_BROKEN, FEED_REASON_GARBLED);
    live(w);
    feed_state_t feed = {.instrument_id = 1, .health = FEED_STALE, .reason = FEED_REASON_AGE};
    assert_int_equal(world_apply_body(w, MSG_FEED_STATE, &feed), ERR_OK);
    is(w, 1, FEED_STALE, FEED_REASON_AGE);
    assert_int_equal(buy(w), RISK_STALE_MARKET_DATA);
    feed.health = FEED_BROKEN;
    feed.reason = FEED_REASON_GAP;
    assert_int_equal(world_apply_body(w, MSG_FEED_STATE, &feed), ERR_OK);
    is(w, 1, FEED_BROKEN, FEED_REASON_GAP);
    live(w);
    world_tick(w, NS_PER_S); /* exactly at the limit */
    is(w, 1, FEED_LIVE, FEED_REASON_NONE);
    world_tick(w, 1);
    is(w, 1, FEED_STALE, FEED_REASON_AGE);
    assert_int_equal(world_mbo(w, 1, WHOLE, 2, NULL, 0), ERR_OK);
    is(w, 1, FEED_LIVE, FEED_REASON_NONE);
}

static void test_market_l3_crossed_is_not_tradable_and_no_fault(void **state)
{
    world_t          *w       = *state;
    const mbo_entry_t cross   = entry(MBO_ADD, 9, SIDE_BUY, 10010, 1);
    const mbo_entry_t uncross = entry(MBO_FILL, 9, SIDE_NONE, 0, 1);
    live(w);
    world_tick(w, 2);
    assert_int_equal(world_mbo(w, 1, WHOLE, 2, &cross, 1), ERR_OK);
    is(w, 1, FEED_STALE, FEED_REASON_CROSSED);
    assert_int_equal(world_out_count(w, MSG_ALARM), 1);
    assert_int_equal(world_out_count(w, MSG_SNAPSHOT_REQUEST), 0);
    assert_int_equal(buy(w), RISK_STALE_MARKET_DATA);
    world_tick(w, 3 * NS_PER_S);
    assert_int_equal(world_out_count(w, MSG_SNAPSHOT_REQUEST), 0);
    assert_int_equal(world_mbo(w, 1, WHOLE, 3, &uncross, 1), ERR_OK);
    is(w, 1, FEED_LIVE, FEED_REASON_NONE);
    assert_int_equal(buy(w), RISK_ACCEPTED);
}

static void test_market_l3_quote_may_lead(void **state)
{
    world_t *w   = *state;
    top_t    top = {.instrument_id = 1,
                    .venue_seq     = 5,
                    .bid_px        = 9000,
                    .bid_qty       = 1,
                    .ask_px        = 9010,
                    .ask_qty       = 1,
                    .ts_recv_ns    = w->now + w->utc_ahead};
    live(w);
    assert_int_equal(world_apply_body(w, MSG_TOP, &top), ERR_OK);
    assert_int_equal(
        world_order(w, (order_req_t){.side = SIDE_SELL, .ord_type = ORD_TYPE_MARKET, .tif = TIF_IOC, .qty = 1}),
        RISK_ACCEPTED);
    assert_true(((const order_req_t *)world_out_first(w, MSG_ORDER_REQUEST))->px <= 9000); /* not 9990 */
}

/* ---- 2 -------------------------------------------------------------------------------------------------------------- */
static void test_market_the_first_message_decides(void **state)
{
    world_t          *w   = *state;
    const mbo_entry_t add = entry(MBO_ADD, 1, SIDE_BUY, 10, 1);
    const level_t     bid = {10, 1};
    world_instrument(w, 1, "Y");
    world_instrument(w, 1, "Z");
    world_instrument(w, 1, "Q");
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010); /* X by levels */
    assert_int_equal(world_mbo(w, 1, SNAPSHOT, 1, &add, 1), ERR_STATE);
    assert_non_null(strstr(err_msg(), "fed by levels"));
    is(w, 1, FEED_LIVE, FEED_REASON_NONE);
    assert_non_null(engine_book(w->engine, 1));
    /* what was said of a feed before its first message holds */
    const feed_state_t gap = {.instrument_id = 2, .health = FEED_RECOVERING, .reason = FEED_REASON_GAP};
    assert_int_equal(world_apply_body(w, MSG_FEED_STATE, &gap), ERR_OK);
    assert_int_equal(world_mbo(w, 2, WHOLE, 1, &add, 1), ERR_OK); /* waits for a snapshot */
    is(w, 2, FEED_RECOVERING, FEED_REASON_GAP);
    assert_int_equal(world_mbo(w, 2, SNAPSHOT, 2, &add, 1), ERR_OK);
    is(w, 2, FEED_LIVE, FEED_REASON_NONE);
    const book_update_t levels = {.instrument_id = 2, .flags = SNAPSHOT, .rpt_seq = 1, .bid_count = 1};
    assert_int_equal(world_apply(w, &(msg_t){.type = MSG_BOOK_UPDATE, .body = &levels, .tail = &bid, .tail_count = 1}),
                     ERR_STATE);
    assert_non_null(strstr(err_msg(), "fed by single orders"));
    assert_int_equal(view_level_count(engine_market(w->engine, 2), SIDE_BUY), 1);
    /* Z is the second of two books of single orders, Q would be the third */
    assert_int_equal(world_mbo(w, 3, SNAPSHOT, 1, &add, 1), ERR_OK);
    const mbo_entry_t other = entry(MBO_ADD, 7, SIDE_BUY, 11, 3);
    assert_int_equal(world_mbo(w, 3, WHOLE, 2, &other, 1), ERR_OK);
    assert_int_equal(view_qty_at(engine_market(w->engine, 2), SIDE_BUY, 11), 0); /* each has its own */
    assert_int_equal(world_mbo(w, 4, SNAPSHOT, 1, &add, 1), ERR_LIMIT);
    assert_non_null(strstr(err_msg(), "the 2 fed by single orders"));
    is(w, 4, FEED_BROKEN, FEED_REASON_START);
    assert_int_equal(world_mbo(w, 5, SNAPSHOT, 1, &add, 1), ERR_NOT_FOUND);
}

static void test_market_cfg_limits(void **state)
{
    (void)state;
    engine_cfg_t cfg = {.tenant_id       = 1,
                        .instruments_max = 4,
                        .accounts_max    = 1,
                        .orders_max      = 1024,
                        .fills_max       = 1024,
                        .stale_ns        = NS_PER_S,
                        .book            = {.window_ticks = 64, .far_slots = 64}};
    risk_cfg_default(&cfg.risk);
    const size_t without = engine_footprint(&cfg);
    assert_true(without > 0);
    cfg.mbo_books = 1;
    assert_int_equal(engine_footprint(&cfg), 0); /* no orders, no levels */
    cfg.mbo = (mbo_cfg_t){.orders_max = 1000, .levels_max = 1000};
    assert_true(engine_footprint(&cfg) > without);
    cfg.mbo_books = 5;
    assert_int_equal(engine_footprint(&cfg), 0);
    assert_non_null(strstr(err_msg(), "limit 4"));
}

/* ---- 3 -------------------------------------------------------------------------------------------------------------- */
static err_t trade(world_t *w, int64_t px, int64_t qty, int64_t ts_event_ns)
{
    const trade_t t = {
        .instrument_id = 1, .px = px, .qty = qty, .ts_event_ns = ts_event_ns, .ts_recv_ns = w->now + w->utc_ahead};
    return world_apply_body(w, MSG_TRADE, &t);
}

static void test_market_statistics(void **state)
{
    world_t     *w = *state;
    statistics_t s;
    assert_false(engine_statistics_record(w->engine, 2, &s));
    assert_true(engine_statistics_record(w->engine, 1, &s));
    assert_int_equal(s.trades, 0);
    w->utc_ahead = 20000 * NS_PER_DAY;
    world_tick(w, 1);
    is(w, 1, FEED_BROKEN, FEED_REASON_START); /* trades count all the same */
    const uint64_t before = engine_state_hash(w->engine);
    assert_int_equal(trade(w, 100, 3, 0), ERR_OK);
    assert_int_equal(trade(w, 90, 2, 0), ERR_OK);
    assert_int_equal(trade(w, 95, 4, 0), ERR_OK);
    assert_true(engine_statistics_record(w->engine, 1, &s));
    assert_int_equal(s.day_utc_ns, w->utc_ahead);
    assert_int_equal(s.open_px, 100);
    assert_int_equal(s.high_px, 100);
    assert_int_equal(s.low_px, 90);
    assert_int_equal(s.last_px, 95);
    assert_int_equal(s.last_qty, 4);
    assert_int_equal(s.volume, 9);
    assert_int_equal(s.turnover_lo, 860);
    assert_int_equal(s.vwap_px, 95); /* 95.56 */
    assert_int_equal(s.trades, 3);
    assert_int_equal(s.event_seq, engine_seq(w->engine));
    assert_int_not_equal(engine_state_hash(w->engine), before);
    assert_int_equal(trade(w, 95, INT64_MAX, 0), ERR_OK);
    const alarm_t *alarm = world_out_first(w, MSG_ALARM);
    assert_non_null(alarm);
    assert_int_equal(alarm->kind, ALARM_LIMIT);
    assert_int_equal(alarm->instrument_id, 1);
    assert_int_equal(alarm->observed, INT64_MAX);
    assert_int_equal(trade(w, 95, INT64_MAX, 0), ERR_OK);
    assert_int_equal(world_out_count(w, MSG_ALARM), 0);
    w->now = NS_PER_DAY; /* the next day, without a trade */
    world_tick(w, 0);
    assert_true(engine_statistics_record(w->engine, 1, &s));
    assert_int_equal(s.day_utc_ns, w->utc_ahead + NS_PER_DAY);
    assert_int_equal(s.trades + s.flags + (uint64_t)s.volume, 0);
    assert_int_equal(s.prev_close_px, 95);
    assert_int_equal(trade(w, 80, 1, w->utc_ahead + NS_PER_DAY - 1), ERR_OK); /* late */
    assert_true(engine_statistics_record(w->engine, 1, &s));
    assert_int_equal(s.trades, 0);
    assert_int_equal(s.uncounted, 1);
    trade_t last;
    assert_true(engine_trade_record(w->engine, 1, &last)); /* but it is the last one heard */
    assert_int_equal(last.px, 80);
}

/* ---- 4 -------------------------------------------------------------------------------------------------------------- */
#define STEPS 3000u

typedef struct step { /* one input, with its tail, to be applied again */
    msg_type_t type;
    int64_t    now;
    uint32_t   tail_count;

    union {
        book_update_t book;
        mbo_update_t  mbo;
        trade_t       trade;
        top_t         top;
        feed_state_t  feed;
        tick_t        tick;
    } body;

    union {
        level_t     levels[8];
        mbo_entry_t entries[8];
    } tail;
} step_t;

typedef struct single { /* of the model of L3 books */
    uint64_t id;
    int64_t  px, qty;
    side_t   side;
} single_t;

typedef struct history {
    step_t   steps[STEPS];
    uint64_t seq[5]; /* rpt_seq by instrument */
    single_t orders[5][8];
    uint32_t count[5];
    uint64_t id;
    bool     broken[5];
} history_t;

static uint64_t below(uint64_t *seed, uint64_t n)
{
    return seeded_next(seed) % n;
}

static void mbo_step(history_t *h, step_t *s, uint32_t id, uint64_t *seed)
{
    const bool snapshot = h->broken[id] ? below(seed, 3) == 0 : below(seed, 60) == 0;
    single_t  *o        = h->orders[id];
    if (snapshot) {
        for (uint32_t i = 0; i < h->count[id]; i++) {
            s->tail.entries[i] = entry(MBO_ADD, o[i].id, o[i].side, o[i].px, o[i].qty);
        }
        s->tail_count = h->count[id];
    } else if (h->count[id] == 8 || (h->count[id] > 0 && below(seed, 2))) {
        const uint32_t i   = (uint32_t)below(seed, h->count[id]);
        const int64_t  qty = 1 + (int64_t)below(seed, (uint64_t)o[i].qty);
        s->tail.entries[0] = entry(below(seed, 2) ? MBO_CANCEL : MBO_FILL, o[i].id, o[i].side, o[i].px, qty);
        s->tail_count      = 1;
        o[i].qty -= qty;
        if (o[i].qty == 0) {
            memmove(&o[i], &o[i + 1], (h->count[id] - i - 1) * sizeof *o);
            h->count[id]--;
        }
    } else {
        const side_t   side = below(seed, 2) ? SIDE_BUY : SIDE_SELL;
        const int64_t  away = 1 + (int64_t)below(seed, 5);
        const single_t add = {++h->id, side == SIDE_BUY ? 1000 - away : 1000 + away, 1 + (int64_t)below(seed, 9), side};
        s->tail.entries[0] = entry(MBO_ADD, add.id, side, add.px, add.qty);
        s->tail_count      = 1;
        o[h->count[id]++]  = add;
    }
    const bool lost = below(seed, 50) == 0;
    h->broken[id]   = !snapshot && (h->broken[id] || lost);
    h->seq[id] += lost ? 2 : 1;
    s->type     = MSG_MBO_UPDATE;
    s->body.mbo = (mbo_update_t){.instrument_id = id,
                                 .flags         = snapshot ? SNAPSHOT : WHOLE,
                                 .rpt_seq       = h->seq[id],
                                 .venue_seq     = h->seq[id],
                                 .ts_recv_ns    = s->now,
                                 .entry_count   = (uint16_t)s->tail_count};
}

static void book_step(history_t *h, step_t *s, uint32_t id, uint64_t *seed)
{
    s->type = MSG_BOOK_UPDATE;
    h->seq[id] += below(seed, 50) ? 1 : 2;
    for (s->tail_count = 0; s->tail_count < 4; s->tail_count++) {
        const bool bid = s->tail_count < 2;
        s->tail.levels[s->tail_count] =
            (level_t){1000 + (bid ? -1 : 1) * (1 + (int64_t)below(seed, 9)), (int64_t)below(seed, 9)};
    }
    s->body.book = (book_update_t){.instrument_id = id,
                                   .flags         = below(seed, 10) ? WHOLE : SNAPSHOT,
                                   .rpt_seq       = h->seq[id],
                                   .venue_seq     = h->seq[id],
                                   .ts_recv_ns    = s->now,
                                   .bid_count     = 2,
                                   .ask_count     = 2};
}

/* Instruments 1, 2 by levels, 3, 4 by single orders. */
static void history_make(history_t *h, uint64_t seed)
{
    int64_t now = 20000 * NS_PER_DAY - NS_PER_S;
    *h          = (history_t){.broken = {true, true, true, true, true}};
    for (uint32_t n = 0; n < STEPS; n++) {
        step_t        *s  = &h->steps[n];
        const uint32_t id = 1 + (uint32_t)below(&seed, 4);
        now += (int64_t)below(&seed, below(&seed, 200) ? 20 * MS : (uint64_t)NS_PER_DAY);
        s->now = now;
        switch (below(&seed, 8)) {
        case 0:
            s->type      = MSG_TICK;
            s->body.tick = (tick_t){now, now};
            break;
        case 1:
        case 2:
            s->type       = MSG_TRADE;
            s->body.trade = (trade_t){.instrument_id = id,
                                      .px            = 990 + (int64_t)below(&seed, 20),
                                      .qty           = (int64_t)below(&seed, 20),
                                      .ts_event_ns   = below(&seed, 4) ? now - (int64_t)below(&seed, 60 * MS) : 0,
                                      .ts_recv_ns    = now};
            break;
        case 3:
            s->type     = MSG_TOP;
            s->body.top = (top_t){.instrument_id = id,
                                  .venue_seq     = h->seq[id] + below(&seed, 2),
                                  .bid_px        = 999,
                                  .bid_qty       = 1,
                                  .ask_px        = 1001,
                                  .ask_qty       = 1,
                                  .ts_recv_ns    = now};
            break;
        default:
            if (id <= 2) {
                book_step(h, s, id, &seed);
            } else {
                mbo_step(h, s, id, &seed);
            }
            break;
        }
    }
}

static void apply(world_t *w, const step_t *s)
{
    w->now = s->now;
    const err_t err =
        world_apply(w, &(msg_t){.type = s->type, .body = &s->body, .tail = &s->tail, .tail_count = s->tail_count});
    assert_int_equal(err, ERR_OK);
}

static void open_four(world_t *w)
{
    world_open(w, 3, 1);
    world_instrument(w, 1, "Y");
    world_instrument(w, 1, "Z");
    world_instrument(w, 1, "Q");
}

/* The day's figures from all trades heard so far, the engine's clock being monotone here. */
static void check_statistics(const world_t *w, const history_t *h, uint32_t steps, uint32_t id)
{
    statistics_t  s;
    const int64_t today  = h->steps[steps - 1].now / NS_PER_DAY;
    int64_t       volume = 0, turnover = 0, open = 0, high = 0, low = 0, last = 0;
    uint64_t      trades = 0;
    for (uint32_t i = 0; i < steps; i++) {
        const trade_t *t = &h->steps[i].body.trade;
        if (h->steps[i].type != MSG_TRADE || t->instrument_id != id || t->qty == 0 ||
            (t->ts_event_ns ? t->ts_event_ns : t->ts_recv_ns) / NS_PER_DAY != today) {
            continue;
        }
        open = trades ? open : t->px;
        high = trades && high > t->px ? high : t->px;
        low  = trades && low < t->px ? low : t->px;
        last = t->px;
        volume += t->qty;
        turnover += t->qty * t->px;
        trades++;
    }
    assert_true(engine_statistics_record(w->engine, id, &s));
    assert_int_equal(s.day_utc_ns, today * NS_PER_DAY);
    assert_int_equal(s.trades, trades);
    assert_int_equal(s.volume, volume);
    assert_int_equal(s.turnover_lo, (uint64_t)turnover);
    assert_int_equal(s.open_px, open);
    assert_int_equal(s.high_px, high);
    assert_int_equal(s.low_px, low);
    assert_int_equal(s.last_px, last);
}

static void check_orders(const world_t *w, const history_t *h, uint32_t id)
{
    const view_t v = engine_market(w->engine, id);
    assert_int_equal(v.kind, VIEW_L3);
    assert_int_equal(h->broken[id], view_health(v) == FEED_BROKEN);
    if (h->broken[id]) {
        return;
    }
    for (int64_t px = 990; px <= 1010; px++) {
        int64_t qty[2] = {0};
        for (uint32_t i = 0; i < h->count[id]; i++) {
            const single_t *o = &h->orders[id][i];
            if (o->px == px) {
                assert_int_equal(view_ahead(v, o->id), qty[o->side == SIDE_SELL]);
                qty[o->side == SIDE_SELL] += o->qty;
            }
        }
        assert_int_equal(view_qty_at(v, SIDE_BUY, px), qty[0]);
        assert_int_equal(view_qty_at(v, SIDE_SELL, px), qty[1]);
    }
}

static void test_market_replay_and_copies_end_alike(void **state)
{
    (void)state;
    uint64_t   seed = seeded_seed("test_market_replay_and_copies_end_alike");
    history_t *h    = malloc(sizeof *h);
    world_t    a, b, copy = {0};
    for (uint64_t round = 0; round < seeded_rounds(3, 100); round++) {
        history_make(h, seeded_next(&seed));
        open_four(&a);
        open_four(&b);
        const uint32_t middle = (uint32_t)below(&seed, STEPS);
        for (uint32_t n = 0; n < STEPS; n++) {
            if (n == middle) {
                world_copy(&copy, &a);
                assert_int_equal(engine_state_hash(copy.engine), engine_state_hash(a.engine));
            }
            apply(&a, &h->steps[n]);
            if (copy.arena) {
                apply(&copy, &h->steps[n]);
            }
            if (n % 100 == 99) {
                check_statistics(&a, h, n + 1, 1 + (uint32_t)below(&seed, 4));
            }
        }
        check_orders(&a, h, 3);
        check_orders(&a, h, 4);
        for (uint32_t n = 0; n < STEPS; n++) {
            apply(&b, &h->steps[n]);
        }
        assert_int_equal(engine_output_hash(a.engine), engine_output_hash(b.engine));
        assert_int_equal(engine_state_hash(a.engine), engine_state_hash(b.engine));
        assert_int_equal(engine_output_hash(a.engine), engine_output_hash(copy.engine));
        assert_int_equal(engine_state_hash(a.engine), engine_state_hash(copy.engine));
        const mbo_entry_t one = entry(MBO_ADD, h->id + 1, SIDE_BUY, 900, 1); /* one order more is another state */
        assert_int_equal(world_mbo(&a, 3, SNAPSHOT, 1, &one, 1), ERR_OK);
        assert_int_equal(world_mbo(&b, 3, SNAPSHOT, 1, &one, 0), ERR_OK);
        assert_int_not_equal(engine_state_hash(a.engine), engine_state_hash(b.engine));
        world_close(&a);
        world_close(&b);
        world_close(&copy);
        copy = (world_t){0};
    }
    free(h);
}

/* ---- 5 -------------------------------------------------------------------------------------------------------------- */
static void test_market_words_of_match_are_denied(void **state)
{
    world_t *w = *state;
    live(w);
    for (uint8_t type = ORD_TYPE_STOP; type <= ORD_TYPE_TRAILING_STOP_LIMIT; type++) {
        assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1, .ord_type = type}),
                         RISK_BAD_SIDE_TYPE_OR_TIF);
    }
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1, .tif = TIF_GTD}),
                     RISK_BAD_SIDE_TYPE_OR_TIF);
    assert_int_equal(buy(w), RISK_ACCEPTED);
    const statistics_t s = {.instrument_id = 1};
    assert_int_equal(world_apply_body(w, MSG_STATISTICS, &s), ERR_ARG); /* no input */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_market_l3_is_priced_published_and_seen),
        TEST(test_market_l3_marks_after_the_last_part),
        TEST(test_market_l3_gap_breaks_until_a_snapshot),
        TEST(test_market_l3_faults_and_feed_states),
        TEST(test_market_l3_crossed_is_not_tradable_and_no_fault),
        TEST(test_market_l3_quote_may_lead),
        TEST(test_market_the_first_message_decides),
        cmocka_unit_test(test_market_cfg_limits),
        TEST(test_market_statistics),
        cmocka_unit_test(test_market_replay_and_copies_end_alike),
        TEST(test_market_words_of_match_are_denied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
