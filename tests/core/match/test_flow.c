/* flow: the generated market.
 *
 * Invariants   the same seed gives the same bytes, another seed others; every message is well formed (parts, flags,
 *              consecutive rpt_seq, venue_seq and trade ids, times that never go back); a plain model fed with the book
 *              messages has at every message's end the best prices that TOP tells, is never crossed and never off tick;
 *              book.h takes the stream and stays LIVE; depth is bounded; each side of a book trades; orders of ours
 *              stand in the queue: their reports add up, the market data shows them, and no ExecID comes twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/book/book.h"
#include "core/match/flow.h"
#include "core/types/hash.h"
#include "core/types/time.h"

#define OUT_CAP (4 * FLOW_REPORTS_MAX)
#define LEVELS 4096u

static uint64_t seed_start(void)
{
    const char    *text = getenv("HWAL_SEED");
    const uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 0xf10eULL;
    printf("seed %#llx (HWAL_SEED)\n", (unsigned long long)seed);
    return seed;
}

static flow_cfg_t cfg_make(uint64_t seed, uint32_t instruments)
{
    return (flow_cfg_t){.seed             = seed,
                        .session          = 7,
                        .start_ns         = 1700000000000000000LL,
                        .gap_mean_ns      = 100000,
                        .instrument_count = instruments,
                        .own_max          = 512,
                        .venue_id         = 3,
                        .fee              = {.maker_rate_e8 = -5000, .taker_rate_e8 = 40000}};
}

/* ---- the plain model: unsorted levels --------------------------------------------------------------------------- */

typedef struct model {
    level_t  levels[2][LEVELS];
    uint32_t count[2];
    uint64_t rpt_seq, venue_seq, trade_id;
    uint64_t trades[3]; /* by aggressor */
    uint32_t updates, tops, most;
    bool     synced, open;
    level_t  told[2];
} model_t;

static void model_set(model_t *m, unsigned side, level_t level)
{
    for (uint32_t i = 0; i < m->count[side]; i++) {
        if (m->levels[side][i].px == level.px) {
            m->levels[side][i] = level.qty > 0 ? level : m->levels[side][--m->count[side]];
            return;
        }
    }
    assert_true(level.qty > 0); /* a removal names a level that is there */
    assert_true(m->count[side] < LEVELS);
    m->levels[side][m->count[side]++] = level;
}

static level_t model_best(const model_t *m, unsigned side)
{
    level_t best = {0};
    for (uint32_t i = 0; i < m->count[side]; i++) {
        const level_t *l = &m->levels[side][i];
        best             = best.qty == 0 || (side == 0 ? l->px > best.px : l->px < best.px) ? *l : best;
    }
    return best;
}

static void model_update(model_t *m, const instrument_t *ins, const book_update_t *upd, const level_t *levels)
{
    const bool first = (upd->flags & BOOK_FLAG_FIRST) != 0, last = (upd->flags & BOOK_FLAG_LAST) != 0;
    const bool snapshot = (upd->flags & BOOK_FLAG_SNAPSHOT) != 0;
    assert_int_equal(upd->rpt_seq, ++m->rpt_seq);
    m->venue_seq += first;
    assert_int_equal(upd->venue_seq, m->venue_seq);
    assert_int_equal(upd->venue_seq_first, m->venue_seq);
    assert_true(first != m->open);
    assert_int_equal(snapshot, upd->venue_seq == 1);
    assert_in_range(upd->bid_count + upd->ask_count, 1, BOOK_UPDATE_MAX_LEVELS);
    m->open = !last;
    for (uint32_t i = 0; i < (uint32_t)upd->bid_count + upd->ask_count; i++) {
        assert_true(levels[i].qty >= 0 && levels[i].qty % ins->def.lot == 0);
        assert_true(instrument_on_tick(ins, levels[i].px));
        assert_true(levels[i].px >= ins->def.band_lower && levels[i].px <= ins->def.band_upper);
        if (levels[i].qty > 0 || !snapshot) {
            model_set(m, i >= upd->bid_count, levels[i]);
        }
    }
    m->updates++;
    m->synced = m->synced || last;
    m->most   = m->count[0] + m->count[1] > m->most ? m->count[0] + m->count[1] : m->most;
    if (last) {
        const level_t bid = model_best(m, 0), ask = model_best(m, 1);
        assert_true(bid.qty == 0 || ask.qty == 0 || bid.px < ask.px);
    }
}

static void model_top(model_t *m, const top_t *top)
{
    const level_t bid = model_best(m, 0), ask = model_best(m, 1);
    assert_false(m->open);
    assert_true(top->bid_px == bid.px && top->bid_qty == bid.qty && top->ask_px == ask.px && top->ask_qty == ask.qty);
    assert_int_equal(top->venue_seq, m->venue_seq);
    m->told[0] = bid;
    m->told[1] = ask;
    m->tops++;
}

/* ---- a run ------------------------------------------------------------------------------------------------------ */

typedef struct run {
    flow_t       *flow;
    flow_cfg_t    cfg;
    model_t       models[FLOW_INSTRUMENTS];
    book_t       *books[FLOW_INSTRUMENTS];
    exec_report_t reports[OUT_CAP];
    exec_out_t    out;
    uint64_t      hash;
    int64_t       now_ns;
} run_t;

static run_t *run_new(uint64_t seed, uint32_t instruments)
{
    run_t *run = calloc(1, sizeof *run);
    run->cfg   = cfg_make(seed, instruments);
    run->flow  = flow_new(aligned_alloc(flow_align(), (flow_footprint(&run->cfg) + 4095) / 4096 * 4096), &run->cfg);
    run->out   = (exec_out_t){.reports = run->reports, .cap = OUT_CAP};
    for (uint32_t i = 0; i < instruments; i++) {
        const book_cfg_t cfg = {0};
        run->books[i]        = book_new(aligned_alloc(book_align(), (book_footprint(&cfg) + 4095) / 4096 * 4096), &cfg,
                                        flow_instrument(run->flow, i));
        run->hash            = instrument_hash(run->hash, flow_instrument(run->flow, i));
    }
    return run;
}

static void run_free(run_t *run)
{
    for (uint32_t i = 0; i < run->cfg.instrument_count; i++) {
        free(run->books[i]);
    }
    free(run->flow);
    free(run);
}

static void run_fetch(run_t *run)
{
    msg_t    msg;
    model_t *m = NULL;
    while (flow_md_next(run->flow, &msg)) {
        const uint32_t id = *(const uint32_t *)msg.body;
        assert_in_range(id, 1, run->cfg.instrument_count);
        m         = &run->models[id - 1];
        run->hash = hash_bytes(run->hash, msg.body, msg_body_size(msg.type));
        run->hash = hash_bytes(run->hash, msg.tail, msg.tail_count * sizeof(level_t));
        if (msg.type == MSG_TRADE) {
            const trade_t *trade = msg.body;
            assert_int_equal(trade->trade_id, ++m->trade_id);
            assert_true(trade->qty > 0 && trade->ts_event_ns >= run->now_ns);
            m->trades[trade->aggressor_side]++;
        } else if (msg.type == MSG_BOOK_UPDATE) {
            const book_update_t *upd = msg.body;
            assert_int_equal(msg.tail_count, upd->bid_count + upd->ask_count);
            assert_true(upd->ts_event_ns >= run->now_ns);
            model_update(m, flow_instrument(run->flow, id - 1), upd, msg.tail);
            assert_int_equal(book_apply(run->books[id - 1], upd, msg.tail, upd->ts_recv_ns), ERR_OK);
        } else {
            assert_int_equal(msg.type, MSG_TOP);
            model_top(m, msg.body);
        }
    }
    if (m != NULL) { /* what was told last is what is */
        const level_t best[2] = {model_best(m, 0), model_best(m, 1)};
        assert_memory_equal(best, m->told, sizeof best);
        assert_int_equal(book_health(run->books[m - run->models]), FEED_LIVE);
        level_t held[2];
        book_best(run->books[m - run->models], &held[0].px, &held[0].qty, &held[1].px, &held[1].qty);
        assert_memory_equal(held, best, sizeof best);
    }
    run->hash = hash_bytes(run->hash, run->reports, run->out.count * sizeof run->reports[0]);
}

static void run_step(run_t *run)
{
    const int64_t due = flow_due_ns(run->flow);
    assert_true(due >= run->now_ns);
    run->out.count = 0;
    assert_int_equal(flow_step(run->flow, due - 1, &run->out), ERR_EMPTY);
    assert_int_equal(flow_step(run->flow, due, &run->out), ERR_OK);
    run->now_ns = due;
    run_fetch(run);
}

static void run_request(run_t *run, const order_req_t *req)
{
    const int64_t ts = flow_due_ns(run->flow);
    assert_int_equal(flow_request(run->flow, req, ts + 1, &run->out), ERR_STATE);
    run->out.count = 0;
    assert_int_equal(flow_request(run->flow, req, ts, &run->out), ERR_OK);
    run->now_ns = ts;
    run_fetch(run);
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

static void test_flow_refuses_bad_cfg(void **state)
{
    (void)state;
    flow_cfg_t cfg[5];
    for (size_t i = 0; i < 5; i++) {
        cfg[i] = cfg_make(1, 8);
    }
    cfg[0].instrument_count  = 0;
    cfg[1].instrument_count  = 9;
    cfg[2].own_max           = 0;
    cfg[3].gap_mean_ns       = 999;
    cfg[4].fee.taker_rate_e8 = FEE_RATE_MAX + 1;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(flow_footprint(&cfg[i]), 0);
        assert_null(flow_new(NULL, &cfg[i]));
        assert_true(strlen(err_msg()) > 10);
    }
}

static void test_flow_market_data_is_sound(void **state)
{
    (void)state;
    const uint64_t seed = seed_start();
    run_t         *run  = run_new(seed, FLOW_INSTRUMENTS);
    for (unsigned i = 0; i < 160000; i++) {
        run_step(run);
        assert_int_equal(run->out.count, 0);
    }
    for (uint32_t i = 0; i < FLOW_INSTRUMENTS; i++) {
        const model_t *m = &run->models[i];
        printf("  %-14s %6u updates %6u tops, trades %5llu buy %5llu sell, levels now %3u + %3u, most %u\n",
               flow_instrument(run->flow, i)->symbol, m->updates, m->tops, (unsigned long long)m->trades[SIDE_BUY],
               (unsigned long long)m->trades[SIDE_SELL], m->count[0], m->count[1], m->most);
        assert_true(m->synced && m->updates > 10000 && m->tops > 1000);
        assert_true(m->trades[SIDE_BUY] > 500 && m->trades[SIDE_SELL] > 500 && m->trades[SIDE_NONE] == 0);
        assert_true(m->count[0] > 10 && m->count[1] > 10 && m->most < 600);
    }
    run_free(run);
}

static void test_flow_same_seed_same_bytes(void **state)
{
    (void)state;
    const uint64_t seed = seed_start();
    uint64_t       hash[3];
    for (unsigned k = 0; k < 3; k++) {
        run_t *run = run_new(seed + (k == 2), FLOW_INSTRUMENTS);
        for (unsigned i = 0; i < 4000; i++) {
            run_step(run);
            if (i % 50 == 49) {
                const instrument_t *ins = flow_instrument(run->flow, i / 50 % FLOW_INSTRUMENTS);
                run_request(run, &(order_req_t){.cl_ord_id     = i,
                                                .action        = ORDER_ACTION_NEW,
                                                .instrument_id = ins->def.instrument_id,
                                                .side          = i % 4 < 2 ? SIDE_BUY : SIDE_SELL,
                                                .ord_type      = ORD_TYPE_MARKET,
                                                .tif           = TIF_IOC,
                                                .qty           = 5 * ins->def.lot});
            }
        }
        hash[k] = run->hash;
        run_free(run);
    }
    assert_int_equal(hash[0], hash[1]);
    assert_true(hash[0] != hash[2]);
}

/* A copy of the bytes goes on as the original does: there is no pointer in it. */
static void test_flow_bytes_are_a_snapshot(void **state)
{
    (void)state;
    run_t *run = run_new(5, 3);
    for (unsigned i = 0; i < 1000; i++) {
        run_step(run);
    }
    const size_t bytes = flow_footprint(&run->cfg);
    flow_t      *copy  = aligned_alloc(flow_align(), (bytes + 4095) / 4096 * 4096);
    memcpy(copy, run->flow, bytes);
    exec_report_t reports[FLOW_REPORTS_MAX];
    for (unsigned i = 0; i < 1000; i++) {
        exec_out_t out = {.reports = reports, .cap = FLOW_REPORTS_MAX};
        msg_t      a, b;
        run->out.count = 0;
        assert_int_equal(flow_step(copy, INT64_MAX, &out), flow_step(run->flow, INT64_MAX, &run->out));
        while (flow_md_next(run->flow, &a)) {
            assert_true(flow_md_next(copy, &b));
            assert_memory_equal(a.body, b.body, msg_body_size(a.type));
        }
        assert_false(flow_md_next(copy, &b));
    }
    free(copy);
    run_free(run);
}

static void test_flow_calls_out_of_turn_change_nothing(void **state)
{
    (void)state;
    run_t            *run   = run_new(9, 2);
    const order_req_t req   = {.cl_ord_id = 1, .action = ORDER_ACTION_CANCEL, .orig_cl_ord_id = 4, .instrument_id = 1};
    exec_out_t        small = {.reports = run->reports, .cap = FLOW_REPORTS_MAX - 1};
    assert_int_equal(flow_step(run->flow, INT64_MAX, &small), ERR_FULL);
    assert_int_equal(flow_request(run->flow, &req, run->cfg.start_ns, &run->out), ERR_STATE); /* snapshots are due */
    assert_int_equal(flow_step(run->flow, INT64_MAX, &run->out), ERR_OK);
    assert_int_equal(flow_step(run->flow, INT64_MAX, &run->out), ERR_STATE); /* market data not fetched */
    run_fetch(run);
    run_step(run);
    assert_int_equal(flow_request(run->flow, &req, run->cfg.start_ns - 1, &run->out), ERR_STATE);
    assert_int_equal(run->out.count, 0);
    run_request(run, &req);
    assert_int_equal(run->out.count, 1);
    assert_int_equal(run->reports[0].exec_type, EXEC_TYPE_CANCEL_REJECT);
    assert_int_equal(run->reports[0].reject_code, VENUE_REJECT_UNKNOWN_ORDER);
    run_free(run);
}

/* ---- orders of ours: random requests, each report checked against what we know of the order --------------------- */

typedef struct mine {
    uint64_t id;
    uint32_t instrument_id;
    side_t   side;
    int64_t  px, qty, cum;
    bool     open;
} mine_t;

#define MINE 4000u

typedef struct tally {
    unsigned type[256];
    unsigned maker, taker, crossed_own;
    uint64_t exec_id;
} tally_t;

static void check_report(mine_t *mine, const exec_report_t *r, tally_t *tally)
{
    assert_int_equal(r->exec_id_hi, 7);
    assert_int_equal(r->exec_id_lo, ++tally->exec_id);
    assert_true(r->cl_ord_id >= 1 && r->cl_ord_id <= MINE);
    mine_t *o = &mine[r->cl_ord_id - 1];
    tally->type[r->exec_type]++;
    switch (r->exec_type) {
    case EXEC_TYPE_NEW:
        assert_false(o->open);
        o->open = true;
        break;
    case EXEC_TYPE_TRADE:
        assert_true(o->open);
        o->cum += r->last_qty;
        assert_true(r->last_qty > 0 && o->cum <= o->qty);
        assert_true(o->px == 0 || (o->side == SIDE_BUY ? r->last_px <= o->px : r->last_px >= o->px));
        assert_true(r->last_liquidity == LIQUIDITY_TAKER || r->last_px == o->px);
        assert_true(r->last_liquidity == LIQUIDITY_TAKER ? r->fee > 0 : r->fee <= 0);
        *(r->last_liquidity == LIQUIDITY_MAKER ? &tally->maker : &tally->taker) += 1;
        o->open = o->cum < o->qty;
        break;
    case EXEC_TYPE_CANCELED:
    case EXEC_TYPE_EXPIRED:
        assert_true(o->open);
        o->open = false;
        break;
    case EXEC_TYPE_REPLACED:
        assert_true(o->open);
        o->px  = r->px;
        o->qty = r->order_qty;
        break;
    case EXEC_TYPE_REJECTED: assert_false(o->open); break;
    default: assert_true(r->exec_type == EXEC_TYPE_CANCEL_REJECT || r->exec_type == EXEC_TYPE_REPLACE_REJECT); break;
    }
    if (r->cum_qty >= 0 && r->exec_type != EXEC_TYPE_REJECTED) {
        assert_int_equal(r->cum_qty, o->cum);
        assert_int_equal(r->leaves_qty, o->open ? o->qty - o->cum : 0);
    }
}

static void test_flow_our_orders_add_up(void **state)
{
    (void)state;
    const uint64_t seed  = seed_start();
    run_t         *run   = run_new(seed, FLOW_INSTRUMENTS);
    mine_t        *mine  = calloc(MINE, sizeof *mine);
    tally_t        tally = {0};
    uint64_t       rng   = seed;
    uint32_t       sent  = 0;
    for (uint32_t i = 0; i < FLOW_INSTRUMENTS; i++) {
        run_step(run);
    }
    while (sent < MINE) {
        for (unsigned i = 0; i < 8; i++) {
            run_step(run);
            for (uint32_t k = 0; k < run->out.count; k++) {
                check_report(mine, &run->reports[k], &tally);
            }
        }
        rng                      = rng * 6364136223846793005ULL + 1442695040888963407ULL;
        const uint32_t      pick = (uint32_t)(rng >> 32);
        const instrument_t *ins  = flow_instrument(run->flow, pick % FLOW_INSTRUMENTS);
        const model_t      *m    = &run->models[pick % FLOW_INSTRUMENTS];
        const side_t        side = pick >> 3 & 1 ? SIDE_BUY : SIDE_SELL;
        const level_t       near = m->told[side == SIDE_BUY ? 0 : 1];
        const int64_t       off  = ((int64_t)(pick >> 4 & 7) - 3) * instrument_tick_at(ins, near.px);
        const int64_t       px   = instrument_round_down(ins, side == SIDE_BUY ? near.px - off : near.px + off);
        const int64_t       qty  = ins->def.lot * (int64_t)(1 + (pick >> 7 & 15)) *
                            (ins->def.qty_exp > 2 ? 100
                             : ins->def.lot == 10 ? 100
                                                  : 1);
        order_req_t    req  = {.instrument_id = ins->def.instrument_id,
                               .px            = px,
                               .qty           = qty,
                               .side          = (uint8_t)side,
                               .ord_type      = ORD_TYPE_LIMIT,
                               .tif           = TIF_GTC,
                               .action        = ORDER_ACTION_NEW};
        const uint32_t what = pick >> 11 & 15;
        if (what < 9 || sent == 0) {
            req.cl_ord_id = ++sent;
            req.exec_inst = what == 0 ? EXEC_INST_POST_ONLY : 0;
            req.tif       = what == 1 ? TIF_IOC : what == 2 ? TIF_FOK : TIF_GTC;
            mine[sent - 1] =
                (mine_t){.id = sent, .instrument_id = req.instrument_id, .side = side, .px = px, .qty = qty};
        } else {
            const mine_t *target = &mine[sent - 1 - (rng >> 20) % (sent < 64 ? sent : 64)];
            req.cl_ord_id        = 1u << 20;
            req.orig_cl_ord_id   = target->id;
            req.instrument_id    = target->instrument_id;
            req.action           = what < 13 ? ORDER_ACTION_CANCEL : ORDER_ACTION_REPLACE;
            req.px               = instrument_round_down(flow_instrument(run->flow, target->instrument_id - 1),
                                                         target->px + ((int64_t)(pick >> 16 & 3) - 1) * 100);
            req.qty              = target->qty + ((pick >> 15 & 1) != 0 ? 100 : -1) * ins->def.lot;
        }
        run_request(run, &req);
        for (uint32_t k = 0; k < run->out.count; k++) {
            check_report(mine, &run->reports[k], &tally);
        }
    }
    printf("  new %u rejected %u canceled %u replaced %u expired %u cxl-rej %u repl-rej %u fills: maker %u taker %u\n",
           tally.type[EXEC_TYPE_NEW], tally.type[EXEC_TYPE_REJECTED], tally.type[EXEC_TYPE_CANCELED],
           tally.type[EXEC_TYPE_REPLACED], tally.type[EXEC_TYPE_EXPIRED], tally.type[EXEC_TYPE_CANCEL_REJECT],
           tally.type[EXEC_TYPE_REPLACE_REJECT], tally.maker, tally.taker);
    assert_true(tally.maker > 200 && tally.taker > 200 && tally.type[EXEC_TYPE_CANCELED] > 100);
    assert_true(tally.type[EXEC_TYPE_REPLACED] > 50 && tally.type[EXEC_TYPE_EXPIRED] > 20);
    free(mine);
    run_free(run);
}

/* A snapshot on demand is the book as it is, heals a book that missed everything, and changes nothing else. */
static void test_flow_snapshot_on_demand(void **state)
{
    (void)state;
    const uint64_t seed = seed_start();
    run_t         *run = run_new(seed, 3), *plain = run_new(seed, 3);
    uint32_t       asked = 0;
    assert_int_equal(flow_snapshot(run->flow, 0), ERR_STATE); /* before the first one */
    for (unsigned i = 0; i < 20000; i++) {
        run_step(run);
        run_step(plain);
        if (i < 10 || i % 97 != 0) {
            continue;
        }
        const uint32_t     index = asked++ % 3;
        model_t           *m     = &run->models[index];
        msg_t              msg;
        bool               top = false, last = false;
        const feed_state_t gone = {.instrument_id = index + 1, .health = FEED_BROKEN, .reason = FEED_REASON_LOST};
        model_t           *was  = malloc(sizeof *was);
        *was                    = *m;
        m->count[0] = m->count[1] = 0;
        book_feed(run->books[index], &gone, run->now_ns);
        assert_int_equal(flow_snapshot(run->flow, index), ERR_OK);
        assert_int_equal(flow_snapshot(run->flow, index), ERR_STATE); /* not fetched yet */
        while (flow_md_next(run->flow, &msg)) {
            if (msg.type == MSG_TOP) {
                assert_true(last);
                model_top(m, msg.body);
                top = true;
                continue;
            }
            const book_update_t *upd    = msg.body;
            const level_t       *levels = msg.tail;
            assert_int_equal(upd->instrument_id, index + 1);
            assert_int_equal(upd->rpt_seq, ++m->rpt_seq);
            assert_int_equal(upd->venue_seq, m->venue_seq);
            assert_true((upd->flags & BOOK_FLAG_SNAPSHOT) != 0);
            assert_int_equal((upd->flags & BOOK_FLAG_FIRST) != 0, m->count[0] + m->count[1] == 0);
            for (uint32_t k = 0; k < msg.tail_count; k++) {
                model_set(m, k >= upd->bid_count, levels[k]);
            }
            last = (upd->flags & BOOK_FLAG_LAST) != 0;
            assert_int_equal(book_apply(run->books[index], upd, msg.tail, run->now_ns), ERR_OK);
        }
        assert_true(top);
        assert_int_equal(book_health(run->books[index]), FEED_LIVE);
        for (unsigned side = 0; side < 2; side++) {
            assert_int_equal(m->count[side], was->count[side]);
            for (uint32_t k = 0; k < was->count[side]; k++) {
                bool found = false;
                for (uint32_t n = 0; n < m->count[side]; n++) {
                    found = found || memcmp(&m->levels[side][n], &was->levels[side][k], sizeof(level_t)) == 0;
                }
                assert_true(found);
            }
        }
        free(was);
    }
    for (uint32_t i = 0; i < 3; i++) { /* the market went its way as if nobody had asked */
        assert_int_equal(run->models[i].trade_id, plain->models[i].trade_id);
        assert_int_equal(run->models[i].venue_seq, plain->models[i].venue_seq);
        level_t asked_best[2], plain_best[2];
        book_best(run->books[i], &asked_best[0].px, &asked_best[0].qty, &asked_best[1].px, &asked_best[1].qty);
        book_best(plain->books[i], &plain_best[0].px, &plain_best[0].qty, &plain_best[1].px, &plain_best[1].qty);
        assert_memory_equal(asked_best, plain_best, sizeof plain_best);
    }
    run_free(run);
    run_free(plain);
}

static void test_flow_stands_and_goes_on(void **state)
{
    (void)state;
    run_t *run = run_new(seed_start(), 4);
    for (unsigned i = 0; i < 1000; i++) {
        run_step(run);
    }
    const int64_t due = flow_due_ns(run->flow);
    flow_resume(run->flow, due - 5);
    assert_int_equal(flow_due_ns(run->flow), due); /* nothing was late */
    flow_resume(run->flow, due + NS_PER_DAY);
    assert_int_equal(flow_due_ns(run->flow), due + NS_PER_DAY);
    run->out.count = 0;
    assert_int_equal(flow_step(run->flow, due + NS_PER_DAY - 1, &run->out), ERR_EMPTY);
    for (unsigned i = 0; i < 1000; i++) {
        run_step(run);
    }
    assert_int_equal(flow_now_ns(run->flow), run->now_ns);
    /* the pace: 4 instruments, an event of each every 50 us on average */
    flow_pace(run->flow, 50000);
    const int64_t from = run->now_ns;
    for (unsigned i = 0; i < 40000; i++) {
        run_step(run);
    }
    assert_in_range(run->now_ns - from, 490 * NS_PER_MS, 510 * NS_PER_MS);
    flow_pace(run->flow, -1); /* the nearest that may be: a microsecond */
    run_step(run);
    const int64_t then = run->now_ns;
    for (unsigned i = 0; i < 40000; i++) {
        run_step(run);
    }
    assert_true(run->now_ns - then < 12 * NS_PER_MS);
    assert_int_equal(flow_orders(run->flow)->open_count, 0);
    run_free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flow_refuses_bad_cfg),
        cmocka_unit_test(test_flow_market_data_is_sound),
        cmocka_unit_test(test_flow_same_seed_same_bytes),
        cmocka_unit_test(test_flow_bytes_are_a_snapshot),
        cmocka_unit_test(test_flow_calls_out_of_turn_change_nothing),
        cmocka_unit_test(test_flow_our_orders_add_up),
        cmocka_unit_test(test_flow_snapshot_on_demand),
        cmocka_unit_test(test_flow_stands_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
