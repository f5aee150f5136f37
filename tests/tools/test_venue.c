/* venue: the simulated venue's state machine.
 *
 * Invariants   positions, open orders and how orders ended are what the reports add up to (a slow model that reads
 *              nothing but reports), also in the answers to questions; a mass status tells each execution since its
 *              time once, with its ExecID, before END, and one moment's open orders and positions; nothing overtakes on
 *              the way home; a NEW is taken once; the market gives the messages a second that were asked for; a state
 *              left whole goes on as if nothing had been, one in the middle of a change is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/types/time.h"
#include "tools/venue.h"

#define T0 1700000000000000000LL
#define ORDERS 20000u
#define ACCOUNTS 3u

static uint64_t rng_state;

static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state;
}
static int64_t below(int64_t n)
{
    return (int64_t)(rng() % (uint64_t)n);
}
static void seed_start(void)
{
    const char *text = getenv("HWAL_SEED");
    rng_state        = text != NULL ? strtoull(text, NULL, 0) : 0x7e10eULL;
    printf("seed %#llx (HWAL_SEED)\n", (unsigned long long)rng_state);
    rng_state = rng_state ? rng_state : 1;
}

static venue_cfg_t cfg_make(uint32_t instruments)
{
    return (venue_cfg_t){.seed             = 5,
                         .rate             = 5000,
                         .instrument_count = instruments,
                         .place_ns         = 2 * NS_PER_MS,
                         .cancel_ns        = 3 * NS_PER_MS,
                         .report_ns        = 1 * NS_PER_MS,
                         .fee              = {.maker_rate_e8 = -1000, .taker_rate_e8 = 5000},
                         .book             = {.window_ticks = 1024, .far_slots = 256}};
}

static venue_t *venue_make(const venue_cfg_t *cfg, uint64_t session, int64_t ts_ns)
{
    void    *mem   = aligned_alloc(venue_align(), venue_footprint(cfg));
    venue_t *venue = venue_new(mem, cfg, session, ts_ns);
    assert_non_null(venue);
    venue_home(venue, true);
    return venue;
}

/* ---- market data: counted, and the books' mids for orders that trade ---------------------------------------------- */

typedef struct market {
    uint64_t messages;
    top_t    top[9];
} market_t;

static void on_md(void *ctx, const msg_t *msg)
{
    market_t *m = ctx;
    m->messages++;
    if (msg->type == MSG_TOP) {
        const top_t *top           = msg->body;
        m->top[top->instrument_id] = *top;
    }
}

/* ---- the model: what reports add up to ---------------------------------------------------------------------------- */

typedef struct model_order {
    uint64_t id;
    uint32_t account, instrument;
    uint8_t  status;
    int64_t  cum, qty, px;
} model_order_t;

typedef struct model {
    model_order_t orders[ORDERS];
    uint32_t      count;
    int64_t       position[ACCOUNTS + 1][9];
    exec_report_t fills[ORDERS * 4];
    uint32_t      fill_count;
    int64_t       last_ts_ns;
} model_t;

static model_order_t *model_find(model_t *m, uint64_t id)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->orders[i].id == id) {
            return &m->orders[i];
        }
    }
    return NULL;
}

static void model_report(model_t *m, const exec_report_t *r)
{
    model_order_t *o = model_find(m, r->cl_ord_id);
    assert_true(r->ts_event_ns >= m->last_ts_ns); /* the line home keeps its order */
    m->last_ts_ns = r->ts_event_ns;
    switch (r->exec_type) {
    case EXEC_TYPE_NEW:
        assert_non_null(o);
        assert_int_equal(o->status, 0);
        o->status = ORD_STATUS_NEW;
        break;
    case EXEC_TYPE_TRADE:
        assert_non_null(o);
        assert_true(m->fill_count < ORDERS * 4);
        for (uint32_t i = 0; i < m->fill_count; i++) {
            assert_true(m->fills[i].exec_id_lo != r->exec_id_lo);
        }
        m->fills[m->fill_count++] = *r;
        o->cum += r->last_qty;
        assert_int_equal(o->cum, r->cum_qty);
        o->status = o->cum == o->qty ? ORD_STATUS_FILLED : ORD_STATUS_PARTIALLY_FILLED;
        m->position[r->account_id][r->instrument_id] += r->side == SIDE_BUY ? r->last_qty : -r->last_qty;
        break;
    case EXEC_TYPE_REPLACED:
        o->qty = r->order_qty;
        o->px  = r->px;
        break;
    case EXEC_TYPE_CANCELED: o->status = ORD_STATUS_CANCELED; break;
    case EXEC_TYPE_EXPIRED: o->status = ORD_STATUS_EXPIRED; break;
    case EXEC_TYPE_REJECTED: o->status = ORD_STATUS_REJECTED; break;
    default: break;
    }
}

static bool model_open(const model_order_t *o)
{
    return o->status == ORD_STATUS_NEW || o->status == ORD_STATUS_PARTIALLY_FILLED;
}

static void send_order(venue_t *venue, const order_req_t *req, int64_t ts_ns)
{
    assert_true(venue_ready(venue));
    assert_int_equal(venue_request(venue, &(msg_t){.type = MSG_ORDER_REQUEST, .body = req}, ts_ns), ERR_OK);
}

static void random_request(venue_t *venue, model_t *m, const market_t *md, int64_t ts_ns)
{
    const int64_t dice = below(10);
    if (dice < 6 && m->count < ORDERS) {
        const uint32_t id     = 1 + (uint32_t)below(4);
        const top_t   *top    = &md->top[id];
        const bool     buy    = below(2) == 0;
        order_req_t    req    = {.cl_ord_id     = m->count + 1,
                                 .account_id    = 1 + (uint32_t)below(ACCOUNTS),
                                 .strategy_id   = 2,
                                 .instrument_id = id,
                                 .qty           = (1 + below(20)) * 500,
                                 .action        = ORDER_ACTION_NEW,
                                 .side          = buy ? SIDE_BUY : SIDE_SELL,
                                 .ord_type      = ORD_TYPE_LIMIT,
                                 .tif           = below(4) == 0 ? TIF_IOC : TIF_GTC};
        req.px                = (buy ? top->ask_px : top->bid_px) + (buy ? -1 : 1) * below(6);
        m->orders[m->count++] = (model_order_t){
            .id = req.cl_ord_id, .account = req.account_id, .instrument = id, .qty = req.qty, .px = req.px};
        send_order(venue, &req, ts_ns);
    } else if (m->count > 0) {
        const model_order_t *o   = &m->orders[m->count - 1 - (uint32_t)below(m->count < 50 ? m->count : 50)];
        const order_req_t    req = {.cl_ord_id      = 1000000 + rng() % 1000000,
                                    .orig_cl_ord_id = o->id,
                                    .account_id     = o->account,
                                    .instrument_id  = o->instrument,
                                    .px             = o->px,
                                    .qty            = o->qty + 500,
                                    .action         = dice < 8 ? ORDER_ACTION_CANCEL : ORDER_ACTION_REPLACE};
        send_order(venue, &req, ts_ns);
    }
}

/* All that has arrived; END of a question is returned. */
static bool take_all(venue_t *venue, model_t *m, int64_t ts_ns)
{
    msg_t msg;
    bool  end = false;
    while (venue_next(venue, ts_ns, &msg)) {
        if (msg.type == MSG_EXEC_REPORT) {
            const exec_report_t *r = msg.body;
            assert_int_not_equal(r->exec_type, EXEC_TYPE_ORDER_STATUS);
            model_report(m, r);
        } else {
            end = true;
        }
        venue_take(venue);
    }
    return end;
}

/* Ask for one account when nothing else is under way; compare everything that comes with the model. */
static void ask_account(venue_t *venue, model_t *m, market_t *md, uint32_t account, int64_t since_ns, int64_t *ts_ns)
{
    const mass_status_req_t ask   = {.request_id = 77, .since_utc_ns = since_ns, .account_id = account, .venue_id = 1};
    uint32_t                fills = 0, open = 0, expect_fills = 0, expect_open = 0, positions = 0;
    bool                    end = false;
    assert_int_equal(venue_request(venue, &(msg_t){.type = MSG_MASS_STATUS_REQUEST, .body = &ask}, *ts_ns), ERR_OK);
    exec_report_t *seen       = calloc(ORDERS * 4, sizeof *seen);
    uint32_t       seen_count = 0;
    const uint32_t told       = m->fill_count; /* fills before are told again, fills after are new */
    while (!end) {
        msg_t msg;
        *ts_ns += NS_PER_MS;
        venue_run(venue, *ts_ns, 1u << 20, on_md, md);
        while (!end && venue_next(venue, *ts_ns, &msg)) {
            if (msg.type == MSG_MASS_STATUS) {
                const mass_status_t *s = msg.body;
                assert_int_equal(s->request_id, 77);
                assert_int_equal(s->account_id, account);
                if (s->kind == MASS_STATUS_POSITION) {
                    assert_int_equal(s->qty, m->position[account][s->instrument_id]);
                    positions++;
                }
                end = s->kind == MASS_STATUS_END;
            } else {
                const exec_report_t *r = msg.body;
                if (r->exec_type == EXEC_TYPE_ORDER_STATUS) {
                    const model_order_t *o = model_find(m, r->cl_ord_id);
                    assert_int_equal(r->account_id, account);
                    assert_non_null(o);
                    assert_true(model_open(o));
                    assert_int_equal(r->cum_qty, o->cum);
                    assert_int_equal(r->order_qty, o->qty);
                    assert_int_equal(r->leaves_qty, o->qty - o->cum);
                    assert_int_equal(r->px, o->px);
                    open++;
                } else {
                    bool again = false;
                    for (uint32_t i = 0; i < m->fill_count && r->exec_type == EXEC_TYPE_TRADE; i++) {
                        again = again || m->fills[i].exec_id_lo == r->exec_id_lo;
                    }
                    if (again) {
                        for (uint32_t i = 0; i < m->fill_count; i++) {
                            if (m->fills[i].exec_id_lo == r->exec_id_lo) {
                                assert_memory_equal(&m->fills[i], r, sizeof *r);
                            }
                        }
                        fills++;
                    } else { /* one that was lost on its way, and is told late, may be older than what came since */
                        m->last_ts_ns =
                            r->exec_type == EXEC_TYPE_TRADE && r->ts_event_ns < m->last_ts_ns ? 0 : m->last_ts_ns;
                        model_report(m, r);
                    }
                    if (r->exec_type == EXEC_TYPE_TRADE) {
                        seen[seen_count++] = *r;
                    }
                }
            }
            venue_take(venue);
        }
    }
    for (uint32_t i = 0; i < told; i++) {
        const exec_report_t *f = &m->fills[i];
        if (f->account_id == account && f->ts_event_ns >= since_ns) {
            expect_fills++;
            bool found = false;
            for (uint32_t k = 0; k < seen_count; k++) {
                found = found || seen[k].exec_id_lo == f->exec_id_lo;
            }
            assert_true(found);
        }
    }
    for (uint32_t i = 0; i < m->count; i++) {
        expect_open += m->orders[i].account == account && model_open(&m->orders[i]);
    }
    uint32_t expect_positions = 0;
    for (uint32_t id = 1; id <= 8; id++) {
        expect_positions += m->position[account][id] != 0;
    }
    assert_true(fills >= expect_fills);
    assert_int_equal(open, expect_open);
    assert_int_equal(positions, expect_positions);
    free(seen);
}

static void ask_order(venue_t *venue, model_t *m, market_t *md, uint64_t id, uint32_t account, int64_t *ts_ns)
{
    const order_status_req_t ask  = {.cl_ord_id = id, .account_id = account, .instrument_id = 1};
    bool                     done = false;
    assert_int_equal(venue_request(venue, &(msg_t){.type = MSG_ORDER_STATUS_REQUEST, .body = &ask}, *ts_ns), ERR_OK);
    while (!done) {
        msg_t msg;
        *ts_ns += NS_PER_MS;
        venue_run(venue, *ts_ns, 1u << 20, on_md, md);
        while (!done && venue_next(venue, *ts_ns, &msg)) {
            const exec_report_t *r = msg.body;
            assert_int_equal(msg.type, MSG_EXEC_REPORT);
            if (r->exec_type == EXEC_TYPE_ORDER_STATUS) {
                const model_order_t *o = model_find(m, id);
                assert_int_equal(r->cl_ord_id, id);
                if (o == NULL || o->account != account) {
                    assert_int_equal(r->ord_status, ORD_STATUS_NONE);
                    assert_int_equal(r->cum_qty, -1);
                } else { /* every report of before came before */
                    assert_int_equal(r->ord_status, o->status);
                    assert_int_equal(r->cum_qty, o->cum);
                    assert_int_equal(r->leaves_qty, model_open(o) ? o->qty - o->cum : 0);
                }
                done = true;
            } else {
                model_report(m, r);
            }
            venue_take(venue);
        }
    }
}

static void first_snapshots(venue_t *venue, market_t *md)
{
    for (uint32_t id = 1; id <= 8 && venue_listed(venue, id) != NULL; id++) {
        assert_int_equal(venue_snapshot(venue, id, on_md, md), ERR_OK);
    }
}

static void test_venue_is_what_its_reports_add_up_to(void **state)
{
    (void)state;
    seed_start();
    const venue_cfg_t cfg   = cfg_make(4);
    int64_t           ts_ns = T0;
    venue_t          *venue = venue_make(&cfg, 9, ts_ns);
    model_t          *m     = calloc(1, sizeof *m);
    market_t          md    = {0};
    first_snapshots(venue, &md);
    for (uint32_t step = 0; step < 6000; step++) {
        ts_ns += below(2 * NS_PER_MS);
        random_request(venue, m, &md, ts_ns);
        venue_run(venue, ts_ns, 1u << 20, on_md, &md);
        assert_false(take_all(venue, m, ts_ns));
        if (step % 500 == 499) {
            ask_account(venue, m, &md, 1 + (uint32_t)below(ACCOUNTS), below(2) ? 0 : ts_ns - NS_PER_S, &ts_ns);
        }
        if (step % 100 == 99) {
            const uint64_t id = 1 + (uint64_t)below(m->count + 5);
            ask_order(venue, m, &md, id, id <= m->count && below(4) ? m->orders[id - 1].account : 1, &ts_ns);
        }
    }
    ts_ns += NS_PER_S / 2;
    venue_run(venue, ts_ns, 1u << 20, on_md, &md);
    ts_ns += NS_PER_S / 2; /* and home */
    venue_run(venue, ts_ns, 1u << 20, on_md, &md);
    assert_false(take_all(venue, m, ts_ns));
    for (uint32_t account = 1; account <= ACCOUNTS; account++) {
        ask_account(venue, m, &md, account, 0, &ts_ns);
    }
    assert_true(m->fill_count > 200);
    uint32_t open = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        open += model_open(&m->orders[i]);
    }
    assert_true(open > 0);
    printf("%u orders, %u open, %u fills\n", m->count, open, m->fill_count);
    free(m);
    free(venue);
}

static void test_venue_balance_is_minus_the_value_of_fills_and_fees(void **state)
{
    (void)state;
    const venue_cfg_t cfg   = cfg_make(1);
    venue_t          *venue = venue_make(&cfg, 9, T0);
    market_t          md    = {0};
    first_snapshots(venue, &md);
    const order_req_t req = {.cl_ord_id     = 1,
                             .account_id    = 1,
                             .instrument_id = 1,
                             .qty           = 1000,
                             .action        = ORDER_ACTION_NEW,
                             .side          = SIDE_BUY,
                             .ord_type      = ORD_TYPE_MARKET,
                             .tif           = TIF_IOC};
    send_order(venue, &req, T0);
    const mass_status_req_t ask = {.request_id = 1, .account_id = 1};
    assert_int_equal(venue_request(venue, &(msg_t){.type = MSG_MASS_STATUS_REQUEST, .body = &ask}, T0), ERR_OK);
    venue_run(venue, T0 + NS_PER_S / 2, 1u << 20, on_md, &md);
    int64_t cash = 0, told = 0;
    msg_t   msg;
    /* BTC-USDT: px 10^-2, qty 10^-5, money 10^-8: px * qty is 10^-7, so money = 10 * px * qty */
    bool balance = false;
    while (venue_next(venue, T0 + NS_PER_S, &msg)) {
        if (msg.type == MSG_EXEC_REPORT && ((const exec_report_t *)msg.body)->exec_type == EXEC_TYPE_TRADE &&
            !balance) {
            const exec_report_t *r = msg.body;
            static uint64_t      last;
            if (r->exec_id_lo > last) { /* told again by the mass status */
                last = r->exec_id_lo;
                cash -= 10 * r->last_px * r->last_qty + r->fee;
            }
        }
        if (msg.type == MSG_MASS_STATUS && ((const mass_status_t *)msg.body)->kind == MASS_STATUS_BALANCE) {
            told    = ((const mass_status_t *)msg.body)->amount;
            balance = true;
        }
        venue_take(venue);
    }
    assert_true(balance);
    assert_true(cash < 0);
    assert_int_equal(told, cash);
    /* another market of ours has nothing of it: it would be a stranger's position there */
    const mass_status_req_t other = {.request_id = 2, .account_id = 1, .venue_id = 2};
    assert_int_equal(venue_request(venue, &(msg_t){.type = MSG_MASS_STATUS_REQUEST, .body = &other}, T0 + NS_PER_S),
                     ERR_OK);
    venue_run(venue, T0 + 2 * NS_PER_S, 1u << 20, on_md, &md);
    uint32_t answers = 0;
    while (venue_next(venue, T0 + 3 * NS_PER_S, &msg)) {
        if (msg.type == MSG_MASS_STATUS) {
            assert_int_equal(((const mass_status_t *)msg.body)->kind, MASS_STATUS_END);
            answers++;
        }
        venue_take(venue);
    }
    assert_int_equal(answers, 1);
    free(venue);
}

static void test_venue_takes_an_order_once(void **state)
{
    (void)state;
    const venue_cfg_t cfg   = cfg_make(1);
    venue_t          *venue = venue_make(&cfg, 9, T0);
    market_t          md    = {0};
    msg_t             msg;
    first_snapshots(venue, &md);
    order_req_t req = {.cl_ord_id     = 5,
                       .account_id    = 1,
                       .instrument_id = 1,
                       .qty           = 1000,
                       .action        = ORDER_ACTION_NEW,
                       .side          = SIDE_BUY,
                       .ord_type      = ORD_TYPE_MARKET,
                       .tif           = TIF_IOC};
    send_order(venue, &req, T0);
    venue_run(venue, T0 + NS_PER_S / 2, 1u << 20, on_md, &md);
    const uint64_t before = venue_executions(venue);
    assert_true(before > 0);
    send_order(venue, &req, T0 + NS_PER_S / 2); /* closed: known for ever, as far as it remembers */
    venue_run(venue, T0 + NS_PER_S, 1u << 20, on_md, &md);
    assert_int_equal(venue_executions(venue), before);
    exec_report_t last = {0};
    while (venue_next(venue, T0 + 2 * NS_PER_S, &msg)) {
        last = *(const exec_report_t *)msg.body;
        venue_take(venue);
    }
    assert_int_equal(last.exec_type, EXEC_TYPE_REJECTED);
    assert_int_equal(last.reject_code, VENUE_REJECT_DUPLICATE);
    free(venue);
}

/* More orders than the line home takes at once: portions, and all of the account's, none of another's. */
static void test_venue_mass_cancel_takes_all_of_its_scope(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    const venue_cfg_t cfg   = cfg_make(2);
    venue_t          *venue = venue_make(&cfg, 9, T0);
    market_t          md    = {0};
    msg_t             msg;
    uint32_t          canceled = 0;
    first_snapshots(venue, &md);
    for (uint32_t i = 1; i <= COUNT; i++) {
        const order_req_t req = {.cl_ord_id     = i,
                                 .account_id    = 1 + i % 2,
                                 .instrument_id = 1,
                                 .qty           = 1000,
                                 .px            = 6153000,
                                 .action        = ORDER_ACTION_NEW,
                                 .side          = SIDE_BUY,
                                 .ord_type      = ORD_TYPE_LIMIT,
                                 .tif           = TIF_GTC};
        send_order(venue, &req, T0);
    }
    const mass_cancel_t all = {.request_id = 5, .account_id = 2, .instrument_id = 1, .venue_id = VENUE_ID};
    const mass_cancel_t bad = {.request_id = 5, .account_id = 0};
    assert_int_equal(venue_request(venue, &(msg_t){.type = MSG_MASS_CANCEL, .body = &bad}, T0), ERR_ARG);
    assert_int_equal(venue_request(venue, &(msg_t){.type = MSG_MASS_CANCEL, .body = &all}, T0), ERR_OK);
    for (int64_t ms = 1; ms <= 50; ms++) {
        venue_run(venue, T0 + ms * NS_PER_MS, 1u << 20, on_md, &md);
        while (venue_next(venue, T0 + ms * NS_PER_MS, &msg)) {
            const exec_report_t *r = msg.body;
            canceled += r->exec_type == EXEC_TYPE_CANCELED;
            assert_true(r->exec_type != EXEC_TYPE_CANCELED || r->account_id == 2);
            assert_int_not_equal(r->exec_type, EXEC_TYPE_REJECTED);
            venue_take(venue);
        }
    }
    assert_int_equal(canceled, COUNT / 2);
    assert_int_equal(venue_open_orders(venue), COUNT / 2);
    free(venue);
}

static void test_venue_refuses_what_is_no_request(void **state)
{
    (void)state;
    const venue_cfg_t cfg   = cfg_make(1);
    venue_t          *venue = venue_make(&cfg, 9, T0);
    order_req_t       req   = {.cl_ord_id = 5, .account_id = 0, .instrument_id = 1, .action = ORDER_ACTION_NEW};
    mass_status_req_t ask   = {.account_id = VENUE_ACCOUNTS_MAX + 1};
    const tick_t      tick  = {0};
    assert_int_equal(venue_request(venue, &(msg_t){.type = MSG_ORDER_REQUEST, .body = &req}, T0), ERR_ARG);
    req.account_id = VENUE_ACCOUNTS_MAX + 1;
    assert_int_equal(venue_request(venue, &(msg_t){.type = MSG_ORDER_REQUEST, .body = &req}, T0), ERR_ARG);
    req.account_id = 1;
    req.action     = 9;
    assert_int_equal(venue_request(venue, &(msg_t){.type = MSG_ORDER_REQUEST, .body = &req}, T0), ERR_ARG);
    assert_int_equal(venue_request(venue, &(msg_t){.type = MSG_MASS_STATUS_REQUEST, .body = &ask}, T0), ERR_ARG);
    assert_int_equal(venue_request(venue, &(msg_t){.type = MSG_TICK, .body = &tick}, T0), ERR_ARG);
    assert_int_equal(venue_due_ns(venue, false), INT64_MAX);
    free(venue);
}

static void test_venue_rate_is_messages_a_second(void **state)
{
    (void)state;
    static const struct {
        int64_t  rate;
        uint32_t instruments;
    } rows[] = {{20000, 8}, {2000, 8}, {5000, 1}, {100000, 3}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        venue_cfg_t cfg = cfg_make(rows[i].instruments);
        cfg.rate        = rows[i].rate;
        venue_t *venue  = venue_make(&cfg, 9, T0);
        market_t md     = {0};
        for (int64_t ms = 1; ms <= 10000; ms++) {
            venue_run(venue, T0 + ms * NS_PER_MS, 1u << 20, on_md, &md);
            if (ms == 1000) {
                assert_in_range(md.messages, (uint64_t)rows[i].rate * 93 / 100, (uint64_t)rows[i].rate * 107 / 100);
            }
        }
        printf("rate %lld, %u instruments: %.1f messages a second\n", (long long)rows[i].rate, rows[i].instruments,
               (double)md.messages / 10);
        assert_in_range(md.messages, (uint64_t)rows[i].rate * 97 / 10, (uint64_t)rows[i].rate * 103 / 10);
        free(venue);
    }
}

static void test_venue_rate_zero_is_still(void **state)
{
    (void)state;
    venue_cfg_t cfg = cfg_make(8);
    cfg.rate        = 0;
    venue_t *venue  = venue_make(&cfg, 9, T0);
    market_t md     = {0};
    for (int64_t s = 1; s <= 20000; s += 7) {
        assert_int_equal(venue_run(venue, T0 + s * NS_PER_S, 1u << 20, on_md, &md), 0);
    }
    assert_int_equal(md.messages, 0);
    assert_int_equal(venue_due_ns(venue, true), INT64_MAX);
    first_snapshots(venue, &md); /* and it trades all the same */
    const order_req_t req = {.cl_ord_id     = 1,
                             .account_id    = 1,
                             .instrument_id = 1,
                             .qty           = 1000,
                             .action        = ORDER_ACTION_NEW,
                             .side          = SIDE_BUY,
                             .ord_type      = ORD_TYPE_MARKET,
                             .tif           = TIF_IOC};
    send_order(venue, &req, T0 + 20000 * NS_PER_S);
    venue_run(venue, T0 + 20001 * NS_PER_S, 1u << 20, on_md, &md);
    assert_true(venue_position(venue, 1, 1) == 1000);
    free(venue);
}

static void test_venue_that_stood_goes_on_from_now(void **state)
{
    (void)state;
    const venue_cfg_t cfg   = cfg_make(8);
    venue_t          *venue = venue_make(&cfg, 9, T0);
    market_t          md    = {0};
    venue_run(venue, T0 + NS_PER_S, 1u << 20, on_md, &md);
    const uint64_t before = md.messages;
    venue_run(venue, T0 + NS_PER_DAY, 1u << 20, on_md, &md);
    assert_true(md.messages - before < 100);
    assert_true(venue_due_ns(venue, true) >= T0 + NS_PER_DAY);
    free(venue);
}

static void test_venue_without_somebody_to_tell_keeps_fills_only(void **state)
{
    (void)state;
    const venue_cfg_t cfg   = cfg_make(4);
    int64_t           ts_ns = T0;
    venue_t          *venue = venue_make(&cfg, 9, ts_ns);
    model_t          *m     = calloc(1, sizeof *m);
    market_t          md    = {0};
    msg_t             msg;
    first_snapshots(venue, &md);
    while (!venue_overflowed(venue)) { /* nobody takes */
        ts_ns += 100000;
        const order_req_t req = {.cl_ord_id     = ++m->count,
                                 .account_id    = 1,
                                 .instrument_id = 1,
                                 .qty           = 1,
                                 .px            = 6160000,
                                 .action        = ORDER_ACTION_NEW,
                                 .side          = SIDE_BUY,
                                 .ord_type      = ORD_TYPE_LIMIT,
                                 .tif           = TIF_IOC};
        send_order(venue, &req, ts_ns);
        venue_run(venue, ts_ns, 1u << 20, on_md, &md);
        assert_true(m->count < 4 * VENUE_HOME_MAX);
    }
    venue_home(venue, false);
    assert_false(venue_overflowed(venue));
    assert_false(venue_next(venue, INT64_MAX, &msg));
    venue_home(venue, true);
    assert_false(venue_next(venue, INT64_MAX, &msg));
    free(m);
    free(venue);
}

/* ---- state -------------------------------------------------------------------------------------------------------- */

static void test_venue_state_is_taken_over_whole(void **state)
{
    (void)state;
    seed_start();
    const venue_cfg_t cfg   = cfg_make(4);
    int64_t           ts_ns = T0;
    venue_t          *venue = venue_make(&cfg, 9, ts_ns);
    model_t          *m     = calloc(1, sizeof *m);
    market_t          md    = {0};
    first_snapshots(venue, &md);
    for (uint32_t step = 0; step < 1000; step++) {
        ts_ns += below(2 * NS_PER_MS);
        random_request(venue, m, &md, ts_ns);
        venue_run(venue, ts_ns, 1u << 20, on_md, &md);
        take_all(venue, m, ts_ns);
    }
    ts_ns += NS_PER_S / 10;
    venue_run(venue, ts_ns, 1u << 20, on_md, &md);
    ts_ns += NS_PER_S / 10;
    venue_run(venue, ts_ns, 1u << 20, on_md, &md);
    take_all(venue, m, ts_ns);

    const size_t bytes = venue_footprint(&cfg);
    void        *mem   = aligned_alloc(venue_align(), bytes);
    venue_cfg_t  other = cfg;
    other.seed++;
    assert_int_equal(venue_adopt(mem, venue, bytes, &other, ts_ns), ERR_UNSUPPORTED);
    assert_int_equal(venue_adopt(mem, venue, bytes - 128, &cfg, ts_ns), ERR_UNSUPPORTED);
    ((uint64_t *)(void *)venue)[1]++; /* the lock: as a death in the middle of a change leaves it */
    assert_int_equal(venue_adopt(mem, venue, bytes, &cfg, ts_ns), ERR_STATE);
    ((uint64_t *)(void *)venue)[1]--;
    ts_ns += NS_PER_DAY;
    assert_int_equal(venue_adopt(mem, venue, bytes, &cfg, ts_ns), ERR_OK);
    memset((void *)venue, 0xee, bytes); /* nothing leads back */
    free(venue);

    venue = mem;
    venue_home(venue, true);
    assert_int_equal(venue_session(venue), 9);
    assert_true(venue_clock(venue) >= ts_ns);
    for (uint32_t account = 1; account <= ACCOUNTS; account++) {
        ask_account(venue, m, &md, account, 0, &ts_ns);
    }
    for (uint32_t step = 0; step < 1000; step++) { /* ids go on: model_report sees a repeated one */
        ts_ns += below(2 * NS_PER_MS);
        random_request(venue, m, &md, ts_ns);
        venue_run(venue, ts_ns, 1u << 20, on_md, &md);
        take_all(venue, m, ts_ns);
    }
    free(m);
    free(venue);
}

/* ---- recorded market ---------------------------------------------------------------------------------------------- */

static instrument_t recorded_instrument(uint32_t id)
{
    const instrument_def_t def  = {.instrument_id = id,
                                   .venue_id      = 1,
                                   .kind          = INSTRUMENT_SPOT,
                                   .px_exp        = 2,
                                   .qty_exp       = 3,
                                   .money_exp     = 8,
                                   .settle_ccy    = ccy_pack("USDT"),
                                   .lot           = 1,
                                   .min_qty       = 1,
                                   .mult          = 1};
    const tick_band_t      band = {.px_from = 0, .tick = 1};
    instrument_t           ins;
    assert_int_equal(instrument_init(&ins, &def, id == 1 ? "AAAUSDT" : "BBBUSDT", &band, 1), ERR_OK);
    return ins;
}

static void recorded_book(venue_t *venue, uint32_t id, uint64_t rpt_seq, uint32_t flags, int64_t ts_ns, err_t expect)
{
    const level_t       levels[2] = {{10000, 5000}, {10001, 5000}};
    const book_update_t upd = {.instrument_id = id, .flags = flags, .rpt_seq = rpt_seq, .bid_count = 1, .ask_count = 1};
    const msg_t         msg = {.type = MSG_BOOK_UPDATE, .body = &upd, .tail = levels, .tail_count = 2};
    assert_int_equal(venue_market(venue, &msg, ts_ns), expect);
}

static exec_report_t recorded_order(venue_t *venue, uint64_t id, int64_t *ts_ns)
{
    const order_req_t req = {.cl_ord_id     = id,
                             .account_id    = 2,
                             .instrument_id = 1,
                             .qty           = 100,
                             .px            = 10001,
                             .action        = ORDER_ACTION_NEW,
                             .side          = SIDE_BUY,
                             .ord_type      = ORD_TYPE_LIMIT,
                             .tif           = TIF_IOC};
    msg_t             msg;
    exec_report_t     last = {0};
    send_order(venue, &req, *ts_ns);
    *ts_ns += 20 * NS_PER_MS;
    venue_run(venue, *ts_ns, 100, on_md, NULL);
    while (venue_next(venue, *ts_ns + NS_PER_S, &msg)) {
        last = *(const exec_report_t *)msg.body;
        venue_take(venue);
    }
    return last;
}

static void test_venue_recorded_market(void **state)
{
    (void)state;
    const venue_cfg_t  cfg   = cfg_make(0);
    int64_t            ts_ns = T0;
    venue_t           *venue = venue_make(&cfg, 9, ts_ns);
    const instrument_t one = recorded_instrument(1), two = recorded_instrument(2);
    instrument_t       wrong = recorded_instrument(2);
    wrong.def.instrument_id  = 1;
    const uint32_t whole     = BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST;
    recorded_book(venue, 1, 1, whole, ts_ns, ERR_NOT_FOUND);
    assert_int_equal(venue_instrument(venue, &one), ERR_OK);
    assert_int_equal(venue_instrument(venue, &one), ERR_OK);
    assert_int_equal(venue_instrument(venue, &two), ERR_OK);
    assert_int_equal(venue_instrument(venue, &wrong), ERR_EXISTS);
    assert_int_equal(recorded_order(venue, 1, &ts_ns).reject_code, VENUE_REJECT_CLOSED);
    recorded_book(venue, 1, 1, whole, ts_ns, ERR_OK);
    assert_int_equal(recorded_order(venue, 2, &ts_ns).ord_status, ORD_STATUS_FILLED);
    assert_int_equal(venue_position(venue, 2, 1), 100);

    /* in the middle of a book message requests wait for its rest, but not for ever */
    recorded_book(venue, 1, 2, BOOK_FLAG_FIRST, ts_ns, ERR_OK);
    const order_req_t req = {.cl_ord_id     = 3,
                             .account_id    = 2,
                             .instrument_id = 1,
                             .qty           = 100,
                             .px            = 10001,
                             .action        = ORDER_ACTION_NEW,
                             .side          = SIDE_BUY,
                             .ord_type      = ORD_TYPE_LIMIT,
                             .tif           = TIF_IOC};
    send_order(venue, &req, ts_ns);
    assert_int_equal(venue_run(venue, ts_ns + 5 * NS_PER_MS, 100, on_md, NULL), 0);
    recorded_book(venue, 1, 3, BOOK_FLAG_LAST, ts_ns + 6 * NS_PER_MS, ERR_OK);
    assert_int_equal(venue_run(venue, ts_ns + 6 * NS_PER_MS, 100, on_md, NULL), 1);
    assert_int_equal(venue_position(venue, 2, 1), 200);
    ts_ns += NS_PER_S;
    recorded_book(venue, 1, 4, BOOK_FLAG_FIRST, ts_ns, ERR_OK);
    assert_int_equal(recorded_order(venue, 4, &ts_ns).reject_code, VENUE_REJECT_CLOSED);

    venue_market_lost(venue, ts_ns);
    assert_int_equal(recorded_order(venue, 5, &ts_ns).reject_code, VENUE_REJECT_CLOSED);
    recorded_book(venue, 1, 9, whole, ts_ns, ERR_OK);
    assert_int_equal(recorded_order(venue, 6, &ts_ns).ord_status, ORD_STATUS_FILLED);
    assert_int_equal(venue_snapshot(venue, 1, on_md, NULL), ERR_NOT_FOUND);

    /* a later life: positions stay, books begin anew */
    const size_t bytes = venue_footprint(&cfg);
    void        *mem   = aligned_alloc(venue_align(), bytes);
    assert_int_equal(venue_adopt(mem, venue, bytes, &cfg, ts_ns), ERR_OK);
    free(venue);
    venue = mem;
    venue_home(venue, true);
    assert_int_equal(venue_position(venue, 2, 1), 300);
    assert_int_equal(recorded_order(venue, 7, &ts_ns).reject_code, VENUE_REJECT_CLOSED);
    free(venue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_venue_is_what_its_reports_add_up_to),
        cmocka_unit_test(test_venue_balance_is_minus_the_value_of_fills_and_fees),
        cmocka_unit_test(test_venue_takes_an_order_once),
        cmocka_unit_test(test_venue_mass_cancel_takes_all_of_its_scope),
        cmocka_unit_test(test_venue_refuses_what_is_no_request),
        cmocka_unit_test(test_venue_rate_is_messages_a_second),
        cmocka_unit_test(test_venue_rate_zero_is_still),
        cmocka_unit_test(test_venue_that_stood_goes_on_from_now),
        cmocka_unit_test(test_venue_without_somebody_to_tell_keeps_fills_only),
        cmocka_unit_test(test_venue_state_is_taken_over_whole),
        cmocka_unit_test(test_venue_recorded_market),
    };
    return cmocka_run_group_tests_name("venue", tests, NULL, NULL);
}
