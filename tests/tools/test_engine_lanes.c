/* Lanes on the engine's side (tools/engine_lanes.h), among rings, journal and venue in one process (tests/lib/house.h).
 *
 * Checked   every order request has one verdict, in order, told after it was journaled; orders fill, and reports reach
 *           the lane whose strategy they name; the journal with them verifies equal; questions to risk leave neither a
 *           record nor a trace in the state; rights, identities, quotas, flipped bytes; whatever ends a lane ends that
 *           lane alone, is journaled and shown; the orders of a killed client go or stay by its policy, and nobody
 *           else's; a death of the engine at each step of a lane's request; a client that sends all the time takes
 *           neither market data's turn nor another lane's, and brings the engine to no halt when journal or venue
 *           stand; three mails make a lease, and no descriptor is left of one that was refused; a sleeping engine hears
 *           every request; not one allocation. */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/engine/engine_view.h"
#include "core/types/ids.h"
#include "ipc/message.h"
#include "tests/lib/allocations.h"
#include "tests/lib/house.h"
#include "tests/lib/seeded.h"
#include "tools/verify.h"

#define SENT_MAX 8192u
#define INSTRUMENT 1u

typedef struct client { /* what a client knows of itself */
    lane_client_t     lane;
    lane_t            id;
    uint64_t          seq; /* of its last ClOrdID */
    uint64_t          sent[SENT_MAX];
    uint16_t          code[SENT_MAX]; /* of the verdicts, in their order */
    uint32_t          sent_count, verdicts, fills, reports, asked, answers;
    risk_check_resp_t answer; /* the newest one */
} client_t;

/* ---- the engine's side of a test ----------------------------------------------------------------------------------- */
static engine_loop_t *loop_of(house_t *h)
{
    return &h->e->loop;
}

static uint64_t counted(const house_t *h, counter_t counter)
{
    return counter_get(h->ctx->counters, counter);
}

/* A house whose engine trades, and in which after that only lanes do. */
static house_t *quiet(uint64_t seed)
{
    house_t *h = house_open(seed);
    assert_int_equal(house_boot(h, true), ERR_OK);
    for (int i = 0; i < 50 && (!house_trades(h) || !h->taken_count); i++) {
        house_pump(h, 200);
    }
    assert_true(house_trades(h));
    assert_true(h->taken_count > 0);
    for (uint32_t s = 1; s <= h->e->setup.strategy_count; s++) {
        assert_true(words_kill(h->words, SCOPE_STRATEGY, s, true));
    }
    for (int i = 0; i < 50 && order_open_count(engine_orders(loop_of(h)->engine)); i++) {
        house_pump(h, 50);
    }
    assert_int_equal(order_open_count(engine_orders(loop_of(h)->engine)), 0);
    return h;
}

static uint32_t account_of(const house_t *h)
{
    const uint64_t ccy = engine_instrument(h->e->loop.engine, INSTRUMENT)->def.settle_ccy;
    for (uint32_t a = 1; a <= h->e->setup.account_count; a++) {
        if (h->e->setup.accounts[a].ccy == ccy) {
            return a;
        }
    }
    fail();
    return 0;
}

/* Price n levels from the best, and a quantity that venues take. */
static int64_t price_of(const house_t *h, side_t side, uint32_t level)
{
    book_update_t book;
    level_t       levels[2 * 20];
    assert_true(engine_book_record(h->e->loop.engine, INSTRUMENT, 20, &book, levels));
    assert_true(book.bid_count > level && book.ask_count > level);
    return side == SIDE_BUY ? levels[level].px : levels[book.bid_count + level].px;
}

static int64_t qty_of(const house_t *h)
{
    const instrument_t *ins = engine_instrument(h->e->loop.engine, INSTRUMENT);
    int64_t             qty = ins->def.min_qty > ins->def.lot ? ins->def.min_qty : ins->def.lot, value = 0;
    while (instrument_notional(ins, price_of(h, SIDE_BUY, 0), qty, &value) && value < 2 * ins->def.min_notional) {
        qty *= 2;
    }
    return qty * 2;
}

static uint32_t open_orders(const house_t *h, uint32_t strategy_id)
{
    const order_table_t *orders = engine_orders(h->e->loop.engine);
    uint32_t             n      = 0;
    for (uint32_t row = order_first(orders); row != ORDER_NONE; row = order_next(orders, row)) {
        n += order_is_open(order_at(orders, row)) && order_at(orders, row)->strategy_id == strategy_id;
    }
    return n;
}

static uint32_t canceled_orders(const house_t *h, uint32_t strategy_id)
{
    const order_table_t *orders = engine_orders(h->e->loop.engine);
    uint32_t             n      = 0;
    for (uint32_t row = 0; row < order_rows(orders); row++) {
        const order_t *o = order_at(orders, row);
        n += o->strategy_id == strategy_id && o->closed_as == ORD_STATUS_CANCELED;
    }
    return n;
}

static lane_t shown(const house_t *h, uint32_t lane_id)
{
    lane_t lane;
    assert_true(lanes_page_read(h->e->loop.lanes.page, lane_id, &lane));
    return lane;
}

static void check_journal(house_t *h)
{
    static verify_result_t v;
    house_journal(h);
    assert_int_equal(verify_dir(h->dir, &v), ERR_OK);
    if (!v.equal) {
        print_message("record %llu, %s: %s%s\n", (unsigned long long)v.diff.number, v.diff.field, v.diff.text, v.note);
    }
    assert_true(v.equal);
    assert_int_equal(v.last_sequence, h->e->loop.sequence);
    assert_int_equal(v.state_hash, engine_state_hash(h->e->loop.engine));
}

/* ---- a client ------------------------------------------------------------------------------------------------------ */
static void client_hear(client_t *c)
{
    ring_meta_t meta;
    const void *payload;
    msg_t       msg;
    while (lane_next(&c->lane, &meta, &payload) == ERR_OK) {
        assert_int_equal(message_read((msg_type_t)meta.type, payload, meta.len, &msg), ERR_OK);
        switch (msg.type) {
        case MSG_LANE: memcpy(&c->id, msg.body, sizeof c->id); break;
        case MSG_VERDICT: {
            const verdict_t *v = msg.body;
            assert_true(c->verdicts < c->sent_count);
            assert_int_equal(v->cl_ord_id, c->sent[c->verdicts]); /* in their order, none left out */
            c->code[c->verdicts++] = v->code;
            break;
        }
        case MSG_EXEC_REPORT: {
            const exec_report_t *r = msg.body;
            assert_int_equal(r->strategy_id, c->id.strategy_id);
            c->reports++;
            c->fills += r->exec_type == EXEC_TYPE_TRADE;
            break;
        }
        case MSG_RISK_CHECK_RESPONSE:
            memcpy(&c->answer, msg.body, sizeof c->answer);
            assert_int_equal(c->answer.corr_lo, c->answers++); /* in their order */
            break;
        default: fail_msg("%s is no answer", msg_type_str(msg.type));
        }
    }
}

static err_t client_say(client_t *c, msg_type_t type, const void *body)
{
    _Alignas(8) uint8_t bytes[LANE_STRIDE];
    size_t              len;
    assert_int_equal(message_write(&(msg_t){.type = type, .body = body}, bytes, sizeof bytes, &len), ERR_OK);
    return lane_send(&c->lane, &(ring_meta_t){.len = (uint32_t)len, .type = (uint16_t)type}, bytes);
}

static void client_lease(house_t *h, uint32_t lane_id, client_t *c)
{
    *c = (client_t){0};
    assert_int_equal(house_lease(h, lane_id, &c->lane), ERR_OK);
    client_hear(c);
    assert_int_equal(c->id.lane_id, lane_id); /* the first word of a lane is who it is */
    assert_int_equal(c->id.state, LANE_OPEN);
    assert_int_equal(c->id.epoch, h->epoch);
    assert_int_equal(c->id.pid, getpid());
    assert_int_equal(c->id.uid, getuid());
    c->seq = c->id.first_seq - 1;
}

static err_t client_request(client_t *c, const order_req_t *req)
{
    assert_true(c->sent_count < SENT_MAX);
    const err_t err = client_say(c, MSG_ORDER_REQUEST, req);
    if (err == ERR_OK) {
        c->sent[c->sent_count++] = req->cl_ord_id;
    }
    return err;
}

static order_req_t client_new(const house_t *h, client_t *c, side_t side, uint32_t level)
{
    const engine_loop_t *l = &h->e->loop;
    c->seq++;
    return (order_req_t){.cl_ord_id     = cl_ord_id_make(c->id.epoch, c->id.strategy_id, c->seq),
                         .account_id    = account_of(h),
                         .instrument_id = INSTRUMENT,
                         .px            = price_of(h, side, level),
                         .qty           = qty_of(h) + (int64_t)((c->seq + 7 * c->id.lane_id + 31 * c->id.epoch) % 128) *
                                                engine_instrument(l->engine, INSTRUMENT)->def.lot,
                         .created_mono_ns = role_mono_ns() + l->mono_offset_ns,
                         .action          = ORDER_ACTION_NEW,
                         .side            = (uint8_t)side,
                         .ord_type        = ORD_TYPE_LIMIT,
                         .tif             = TIF_GTC};
}

/* A new order n levels deep; its id. Engine time goes on so far that no rate is in the way. */
static uint64_t client_order(house_t *h, client_t *c, side_t side, uint32_t level)
{
    loop_of(h)->mono_offset_ns += 20 * NS_PER_MS;
    const order_req_t req = client_new(h, c, side, level);
    assert_int_equal(client_request(c, &req), ERR_OK);
    return req.cl_ord_id;
}

static void client_cancel(const house_t *h, client_t *c, uint64_t orig)
{
    order_req_t req    = client_new(h, c, SIDE_BUY, 0);
    req.action         = ORDER_ACTION_CANCEL;
    req.orig_cl_ord_id = orig;
    assert_int_equal(client_request(c, &req), ERR_OK);
}

static err_t client_ask(const house_t *h, client_t *c, int64_t qty)
{
    const risk_check_req_t req = {.corr_lo       = c->asked,
                                  .px            = price_of(h, SIDE_BUY, 5),
                                  .qty           = qty,
                                  .account_id    = account_of(h),
                                  .instrument_id = INSTRUMENT,
                                  .side          = SIDE_BUY,
                                  .ord_type      = ORD_TYPE_LIMIT,
                                  .tif           = TIF_GTC};
    const err_t            err = client_say(c, MSG_RISK_CHECK_REQUEST, &req);
    c->asked += err == ERR_OK;
    return err;
}

static void pump_until(house_t *h, const client_t *c, const uint32_t *count, uint32_t want)
{
    for (int i = 0; i < 400 && *count < want; i++) {
        house_pump(h, 2);
        client_hear((client_t *)(uintptr_t)c);
    }
    if (*count < want) {
        fail_msg("%u of %u; the last verdict was %u", *count, want, c->verdicts ? c->code[c->verdicts - 1] : 0);
    }
}

/* Open orders of a client, n of them, deep in the book. */
static void client_rest(house_t *h, client_t *c, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        client_order(h, c, SIDE_BUY, 12 + i % 6);
        house_turn(h);
    }
    pump_until(h, c, &c->reports, n);
    for (uint32_t i = c->verdicts - n; i < c->verdicts; i++) {
        assert_int_equal(c->code[i], RISK_ACCEPTED);
    }
    assert_int_equal(open_orders(h, c->id.strategy_id), n);
}

static void client_gone(client_t *c) /* as the kernel leaves it, without a word */
{
    munmap(c->lane.cmd, c->lane.cmd_bytes);
    munmap((void *)(uintptr_t)c->lane.rsp, c->lane.rsp_bytes);
    close(c->lane.link_fd);
}

/* Every client is looked after now. */
static void look_turn(house_t *h)
{
    loop_of(h)->lanes.look_mono_ns = 0;
    house_turn(h);
}

static void check_ended(house_t *h, client_t *c, lane_reason_t reason)
{
    client_hear(c);
    assert_int_equal(lane_ended(&c->lane), reason);
    assert_int_equal(c->id.state, LANE_CLOSED); /* there was room for the last word */
    assert_int_equal(c->id.reason, reason);
    assert_int_equal(shown(h, c->id.lane_id).state, LANE_CLOSED);
    assert_int_equal(shown(h, c->id.lane_id).reason, reason);
    lane_t lane;
    assert_true(engine_lane(loop_of(h)->engine, c->id.lane_id, &lane));
    assert_int_equal(lane.state, LANE_CLOSED);
    assert_int_equal(lane.reason, reason);
    ring_meta_t meta;
    const void *payload;
    assert_int_equal(lane_next(&c->lane, &meta, &payload), ERR_STATE);
    lane_leave(&c->lane);
}

/* ---- orders ---------------------------------------------------------------------------------------------------------- */
static void test_orders_of_a_lane_fill_and_each_request_has_its_verdict_in_order(void **state)
{
    (void)state;
    static client_t c;
    uint64_t        rnd = seeded_seed("orders"), live[64] = {0};
    house_t        *h = quiet(31);
    client_lease(h, HOUSE_DESK, &c);
    for (uint32_t i = 0; i < 600; i++) {
        const uint64_t r = seeded_next(&rnd);
        if (r % 8 < 4) {
            live[i % 64] = client_order(h, &c, r & 64 ? SIDE_BUY : SIDE_SELL, r >> 8 & 1 ? 0 : 3 + (r >> 9) % 8);
        } else if (r % 8 < 6) {
            client_cancel(h, &c, live[(r >> 8) % 64]);
        } else if (r % 8 == 6) { /* an amend */
            order_req_t req    = client_new(h, &c, SIDE_BUY, 4);
            req.action         = ORDER_ACTION_REPLACE;
            req.orig_cl_ord_id = live[(r >> 8) % 64];
            assert_int_equal(client_request(&c, &req), ERR_OK);
        } else { /* nonsense of many kinds: an id of others or of the past, no account, no instrument, no action */
            order_req_t req   = client_new(h, &c, SIDE_BUY, 4);
            req.cl_ord_id     = r >> 8 & 1 ? 0 : req.cl_ord_id - (r >> 9 & 1 ? 1ull << 44 : 5);
            req.account_id    = (uint32_t)(r >> 10 & 31);
            req.action        = (uint8_t)(r >> 15 & 7);
            req.instrument_id = (uint32_t)(r >> 18 & 127);
            assert_int_equal(client_request(&c, &req), ERR_OK);
        }
        if (i % 5 == 0) {
            house_pump(h, 2);
            client_hear(&c);
        }
    }
    house_pump(h, 100);
    client_hear(&c);
    assert_int_equal(c.verdicts, c.sent_count);
    assert_true(c.fills > 10);
    assert_int_equal(counted(h, COUNTER_LANE_REQUESTS), c.sent_count);
    assert_int_equal(atomic_load(&loop_of(h)->lanes.page->requests[HOUSE_DESK - 1]), c.sent_count);
    check_journal(h);
    journal_reader_t *in;
    journal_entry_t   e;
    uint64_t          seq = 0; /* every one is an input, with its place in the ring, as the lane's own */
    assert_int_equal(journal_open_dir(h->dir, &h->id, &in), ERR_OK);
    while (journal_next(in, &e) == ERR_OK) {
        if (e.record.head.kind == RECORD_INPUT && e.record.head.source == RECORD_SOURCE_CMD) {
            const order_req_t *req = e.record.msg.body;
            assert_int_equal(e.record.head.source_gen, HOUSE_DESK);
            assert_int_equal(e.record.head.source_seq, ++seq);
            assert_int_equal(req->cl_ord_id, c.sent[seq - 1]);
            assert_int_equal(req->strategy_id, c.id.strategy_id);
            assert_int_equal(req->tenant_id, c.id.tenant_id);
        }
    }
    journal_close(in);
    assert_int_equal(seq, c.sent_count);
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < c.verdicts; i++) {
        accepted += c.code[i] == RISK_ACCEPTED;
    }
    histogram_copy_t *latency = malloc(sizeof *latency);
    histogram_copy(loop_of(h)->lanes.latency, latency);
    assert_int_equal(latency->count, c.sent_count);
    print_message("%u requests, %u accepted, %u reports, %u fills; request to verdict p50 %llu p99 %llu ns\n",
                  c.sent_count, accepted, c.reports, c.fills, (unsigned long long)histogram_quantile(latency, 500000),
                  (unsigned long long)histogram_quantile(latency, 990000));
    free(latency);
    lane_leave(&c.lane);
    look_turn(h);
    assert_int_equal(shown(h, HOUSE_DESK).reason, LANE_REASON_RELEASED);
    house_close(h);
}

static void test_questions_to_risk_leave_no_trace(void **state)
{
    (void)state;
    static client_t c;
    house_t        *h = quiet(32);
    engine_loop_t  *l = loop_of(h);
    client_lease(h, HOUSE_DESK, &c);
    house_turn(h);
    l->tick_mono_ns     = INT64_MAX; /* no input of its own */
    const uint64_t hash = engine_state_hash(l->engine), next = l->jrn.next, sequence = l->sequence;
    const uint64_t outputs = engine_output_hash(l->engine);
    const int64_t  qty     = qty_of(h);
    for (uint32_t i = 0; i < 400; i++) {
        assert_int_equal(client_ask(h, &c, i % 2 ? qty : qty * 1000000), ERR_OK);
        house_turn(h);
        client_hear(&c);
        assert_int_equal(c.answers, c.asked);
        assert_int_equal(c.answer.approved, i % 2);
        assert_int_equal(c.answer.portfolio_version, sequence);
        assert_true(i % 2 ? c.answer.adjusted_qty == qty : c.answer.adjusted_qty < qty * 1000000);
    }
    assert_int_equal(l->sequence, sequence);
    assert_int_equal(l->jrn.next, next);
    assert_int_equal(engine_state_hash(l->engine), hash);
    assert_int_equal(engine_output_hash(l->engine), outputs);
    assert_int_equal(counted(h, COUNTER_LANE_CHECKS), 400);
    lane_leave(&c.lane);
    house_close(h);
}

static void test_a_lane_has_its_rights_and_its_quota_and_no_more(void **state)
{
    (void)state;
    static client_t keeper, quiz;
    house_t        *h = quiet(33);
    client_lease(h, HOUSE_KEEPER, &keeper);
    client_lease(h, HOUSE_QUIZ, &quiz);
    client_order(h, &quiz, SIDE_BUY, 12); /* may only ask */
    house_turn(h);
    client_hear(&quiz);
    assert_int_equal(quiz.code[0], RISK_NOT_AUTHORISED);
    assert_int_equal(client_ask(h, &quiz, qty_of(h)), ERR_OK);
    house_turn(h);
    client_hear(&quiz);
    assert_int_equal(quiz.answers, 1);
    assert_int_equal(quiz.answer.approved, account_of(h) == 1); /* account 1 is all that it has */
    loop_of(h)->mono_offset_ns += 2 * NS_PER_S;
    house_pump(h, 10);
    for (uint32_t i = 0; i < 30; i++) { /* within a second of engine time: so many may pass */
        const order_req_t req = client_new(h, &keeper, SIDE_BUY, 12);
        assert_int_equal(client_request(&keeper, &req), ERR_OK);
        house_turn(h);
        house_venue(h);
    }
    client_hear(&keeper);
    assert_int_equal(keeper.verdicts, 30);
    for (uint32_t i = 0; i < 30; i++) {
        assert_int_equal(keeper.code[i], i < HOUSE_KEEPER_ORDERS ? RISK_ACCEPTED : RISK_RATE_ORDERS);
    }
    lane_leave(&keeper.lane);
    lane_leave(&quiz.lane);
    house_close(h);
}

/* ---- ends ------------------------------------------------------------------------------------------------------------ */
typedef enum abuse {
    ABUSE_STRATEGY = 0,
    ABUSE_TENANT,
    ABUSE_TYPE,
    ABUSE_GARBAGE,
    ABUSE_UNKNOWN_TYPE,
    ABUSE_LENGTH,
    ABUSE_RING,
    ABUSE_HEAD,
    ABUSE_WORD_ON_LINK,
    ABUSE_COUNT
} abuse_t;

static lane_reason_t commit(const house_t *h, client_t *c, abuse_t abuse)
{
    _Alignas(8) uint8_t junk[64] = {255, 255, 255, 255};
    order_req_t         req      = client_new(h, c, SIDE_BUY, 12);
    const tick_t        tick     = {.mono_ns = 1};
    switch (abuse) {
    case ABUSE_STRATEGY: /* the desk speaks for the keeper */
        req.strategy_id = c->id.strategy_id + 1;
        req.cl_ord_id   = cl_ord_id_make(c->id.epoch, req.strategy_id, 1);
        client_say(c, MSG_ORDER_REQUEST, &req);
        return LANE_REASON_MISUSED;
    case ABUSE_TENANT:
        req.tenant_id = 2;
        client_say(c, MSG_ORDER_REQUEST, &req);
        return LANE_REASON_MISUSED;
    case ABUSE_TYPE: client_say(c, MSG_TICK, &tick); return LANE_REASON_MISUSED;
    case ABUSE_GARBAGE:
        lane_send(&c->lane, &(ring_meta_t){.len = 64, .type = MSG_ORDER_REQUEST}, junk);
        return LANE_REASON_MISUSED;
    case ABUSE_UNKNOWN_TYPE:
        lane_send(&c->lane, &(ring_meta_t){.len = 64, .type = 60000}, junk);
        return LANE_REASON_MISUSED;
    case ABUSE_LENGTH: {
        ring_slot_t *slot = lossless_slot_head(&c->lane.to, 0);
        slot->meta        = (ring_meta_t){.len = 4096, .type = MSG_ORDER_REQUEST};
        atomic_store(&slot->seq, c->lane.to.next);
        return LANE_REASON_DAMAGED;
    }
    case ABUSE_RING: atomic_store(&lossless_slot_head(&c->lane.to, 0)->seq, 999999); return LANE_REASON_DAMAGED;
    case ABUSE_HEAD: c->lane.cmd->head.magic = 0; return LANE_REASON_DAMAGED;
    case ABUSE_WORD_ON_LINK: assert_int_equal(write(c->lane.link_fd, "x", 1), 1); return LANE_REASON_MISUSED;
    case ABUSE_COUNT: break;
    }
    return LANE_REASON_NONE;
}

static void test_a_client_that_does_what_it_may_not_harms_itself_alone(void **state)
{
    (void)state;
    static client_t desk, keeper;
    house_t        *h = quiet(34);
    client_lease(h, HOUSE_KEEPER, &keeper);
    client_rest(h, &keeper, 3);
    for (abuse_t abuse = 0; abuse < ABUSE_COUNT; abuse++) {
        client_lease(h, HOUSE_DESK, &desk);
        client_order(h, &desk, SIDE_BUY, 15);
        house_turn(h);
        const uint64_t      place  = loop_of(h)->jrn.next;
        const lane_reason_t reason = commit(h, &desk, abuse);
        look_turn(h);
        check_ended(h, &desk, reason);
        assert_int_equal(desk.verdicts, 1);
        assert_true(loop_of(h)->jrn.next > place);
        house_pump(h, 20);
        client_hear(&keeper);
        assert_int_equal(lane_ended(&keeper.lane), LANE_REASON_NONE);
        assert_int_equal(client_ask(h, &keeper, qty_of(h)), ERR_OK);
        house_turn(h);
        client_hear(&keeper);
        assert_int_equal(keeper.answers, keeper.asked);
    }
    assert_int_equal(counted(h, COUNTER_LANES_CLOSED), ABUSE_COUNT);
    assert_int_equal(canceled_orders(h, keeper.id.strategy_id), 0);
    check_journal(h);
    lane_leave(&keeper.lane);
    house_close(h);
}

/* Requests with bytes flipped anywhere: each is judged or ends its lane, and what was journaled of them replays. */
static void test_flipped_bytes_are_judged_or_end_the_lane(void **state)
{
    (void)state;
    static client_t desk;
    uint64_t        rnd    = seeded_seed("flips");
    const uint32_t  rounds = (uint32_t)seeded_rounds(getenv("HWAL_QUICK") ? 300 : 2000, 200000);
    uint32_t        judged = 0, ended = 0;
    house_t        *h = quiet(44);
    client_lease(h, HOUSE_DESK, &desk);
    for (uint32_t i = 0; i < rounds; i++) {
        _Alignas(8) uint8_t    bytes[LANE_STRIDE];
        size_t                 len;
        const order_req_t      req = client_new(h, &desk, SIDE_BUY, 12);
        const risk_check_req_t ask = {.px = req.px, .qty = req.qty, .account_id = 1, .instrument_id = INSTRUMENT};
        const msg_t            msg = i % 4 ? (msg_t){.type = MSG_ORDER_REQUEST, .body = &req}
                                           : (msg_t){.type = MSG_RISK_CHECK_REQUEST, .body = &ask};
        assert_int_equal(message_write(&msg, bytes, sizeof bytes, &len), ERR_OK);
        for (uint64_t n = 1 + seeded_next(&rnd) % 3; n > 0; n--) { /* half of them in what is no field */
            const uint64_t r = seeded_next(&rnd);
            bytes[r % (r >> 32 & 1 ? len : 24)] ^= (uint8_t)(1u << (r >> 40 & 7));
        }
        loop_of(h)->mono_offset_ns += 20 * NS_PER_MS;
        assert_int_equal(lane_send(&desk.lane, &(ring_meta_t){.len = (uint32_t)len, .type = (uint16_t)msg.type}, bytes),
                         ERR_OK);
        house_turn(h);
        house_venue(h);
        if (i % 64 == 0) {
            house_pump(h, 2);
        }
        ring_meta_t meta;
        const void *payload;
        uint32_t    told = 0;
        while (lane_next(&desk.lane, &meta, &payload) == ERR_OK) {
            told += meta.type == MSG_VERDICT || meta.type == MSG_RISK_CHECK_RESPONSE;
        }
        if (!loop_of(h)->lanes.open) {
            assert_int_equal(told, 0);
            assert_int_equal(lane_ended(&desk.lane), LANE_REASON_MISUSED);
            lane_leave(&desk.lane);
            client_lease(h, HOUSE_DESK, &desk);
            ended++;
        } else {
            assert_int_equal(told, 1);
            judged++;
        }
    }
    print_message("%u judged, %u ended their lane\n", judged, ended);
    assert_true(judged > rounds / 10 && ended > rounds / 10);
    check_journal(h);
    lane_leave(&desk.lane);
    house_close(h);
}

static void test_a_client_that_does_not_read_is_closed_and_its_orders_go(void **state)
{
    (void)state;
    static client_t desk;
    house_t        *h = quiet(35);
    client_lease(h, HOUSE_DESK, &desk);
    client_rest(h, &desk, 4);
    for (uint32_t i = 0; i <= HOUSE_LANE_SLOTS && loop_of(h)->lanes.open; i++) {
        if (client_ask(h, &desk, qty_of(h)) != ERR_OK) { /* only its answers are too many */
            break;
        }
        house_turn(h);
    }
    house_turn(h);
    assert_int_equal(loop_of(h)->lanes.open, 0);
    assert_int_equal(shown(h, HOUSE_DESK).reason, LANE_REASON_RSP_FULL);
    client_hear(&desk); /* what was told stays whole, and in order */
    assert_int_equal(lane_ended(&desk.lane), LANE_REASON_RSP_FULL);
    assert_true(desk.answers >= HOUSE_LANE_SLOTS - 1);
    lane_leave(&desk.lane);
    house_pump(h, 100);
    assert_int_equal(open_orders(h, desk.id.strategy_id), 0);
    check_journal(h);
    house_close(h);
}

static void test_orders_of_a_killed_client_go_or_stay_by_its_policy(void **state)
{
    (void)state;
    static client_t c[2];
    house_t        *h = quiet(36);
    for (uint32_t i = 0; i < 2; i++) {
        client_lease(h, HOUSE_DESK + i, &c[i]);
        client_rest(h, &c[i], 5);
    }
    for (uint32_t i = 0; i < 2; i++) {
        const pid_t child = fork(); /* it alone holds the connection, and dies by force */
        assert_true(child >= 0);
        if (child == 0) {
            for (;;) {
                pause();
            }
        }
        close(c[i].lane.link_fd);
        look_turn(h);
        assert_int_equal(shown(h, HOUSE_DESK + i).state, LANE_OPEN);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        look_turn(h);
        assert_int_equal(shown(h, HOUSE_DESK + i).state, LANE_CLOSED);
        assert_int_equal(shown(h, HOUSE_DESK + i).reason, LANE_REASON_DEAD);
        house_pump(h, 60);
    }
    assert_int_equal(open_orders(h, c[0].id.strategy_id), 0);
    assert_true(canceled_orders(h, c[0].id.strategy_id) > 0);
    assert_int_equal(canceled_orders(h, c[1].id.strategy_id), 0);
    assert_true(open_orders(h, c[1].id.strategy_id) > 0);
    static client_t next; /* whoever holds the keeper's lane next hears of them, and may cancel them */
    client_lease(h, HOUSE_KEEPER, &next);
    assert_int_equal(next.id.first_seq, c[1].seq + 1);
    const order_table_t *orders = engine_orders(loop_of(h)->engine);
    for (uint32_t row = order_first(orders); row != ORDER_NONE; row = order_next(orders, row)) {
        if (order_is_open(order_at(orders, row))) {
            client_cancel(h, &next, order_at(orders, row)->cl_ord_id);
        }
    }
    house_pump(h, 60);
    client_hear(&next);
    assert_true(next.reports > 0);
    assert_int_equal(open_orders(h, c[1].id.strategy_id), 0);
    check_journal(h);
    lane_leave(&next.lane);
    munmap(c[0].lane.cmd, c[0].lane.cmd_bytes);
    house_close(h);
}

static void test_a_lane_is_leased_once_at_a_time(void **state)
{
    (void)state;
    static client_t first, second;
    house_t        *h = quiet(37);
    client_lease(h, HOUSE_DESK, &first);
    assert_int_not_equal(house_lease(h, HOUSE_DESK, &second.lane), ERR_OK); /* never sealed: refused */
    assert_int_not_equal(house_lease(h, 4, &second.lane), ERR_OK);
    assert_int_not_equal(house_lease(h, 0, &second.lane), ERR_OK);
    assert_int_not_equal(house_lease(h, 255, &second.lane), ERR_OK);
    assert_int_equal(loop_of(h)->lanes.open, 1);
    assert_int_equal(client_ask(h, &first, qty_of(h)), ERR_OK);
    house_turn(h);
    client_hear(&first);
    assert_int_equal(first.answers, 1);
    client_gone(&first);
    client_lease(h, HOUSE_DESK, &second); /* the dead are seen at once when somebody asks */
    assert_true(second.id.lease > first.id.lease);
    assert_int_equal(loop_of(h)->lanes.open, 1);
    check_journal(h);
    lane_leave(&second.lane);
    house_close(h);
}

/* ---- lives of the engine ----------------------------------------------------------------------------------------------- */
static jmp_buf       death;
static engine_step_t deadly;

static void maybe_die(void *ctx, engine_step_t step)
{
    const house_t *h = ctx;
    if (step == deadly && h->e->loop.lanes.asking) {
        longjmp(death, 1);
    }
}

static void test_a_death_of_the_engine_at_each_step_closes_its_lanes(void **state)
{
    (void)state;
    static client_t c[2];
    house_t        *h = quiet(38);
    for (deadly = ENGINE_STEP_APPLIED; deadly <= ENGINE_STEP_SENT; deadly++) {
        for (uint32_t i = 0; i < 2; i++) {
            client_lease(h, HOUSE_DESK + i, &c[i]);
        }
        client_rest(h, &c[0], 4);
        if (deadly == ENGINE_STEP_APPLIED) {
            client_rest(h, &c[1], 4); /* they stay, life after life */
        }
        const uint32_t kept      = open_orders(h, c[1].id.strategy_id);
        const uint64_t sequence  = loop_of(h)->sequence;
        const uint64_t last      = client_order(h, &c[0], SIDE_BUY, 13);
        loop_of(h)->tick_mono_ns = INT64_MAX;
        loop_of(h)->at_step      = maybe_die;
        loop_of(h)->at_step_ctx  = h;
        if (setjmp(death) == 0) {
            house_turn(h);
            fail_msg("it did not die at step %u", deadly);
        }
        const uint64_t hash = engine_state_hash(loop_of(h)->engine);
        house_crash(h);
        uint64_t       committed;
        const uint64_t reference = house_reference(h, &committed);
        assert_true(committed >= sequence);
        if (deadly != ENGINE_STEP_APPLIED) {
            assert_int_equal(reference, hash);
        }
        for (uint32_t i = 0; i < 2; i++) { /* no word of it: but the connection has ended */
            client_hear(&c[i]);
            assert_int_equal(lane_ended(&c[i].lane), LANE_REASON_DEAD);
            lane_leave(&c[i].lane);
        }
        assert_int_equal(c[0].verdicts, c[0].sent_count - 1); /* the last one nobody knows */
        assert_int_equal(house_boot(h, true), ERR_OK);
        lane_t lane;
        for (uint32_t i = 1; i <= 2; i++) {
            assert_true(engine_lane(loop_of(h)->engine, i, &lane));
            assert_int_equal(lane.state, LANE_CLOSED);
            assert_int_equal(lane.reason, LANE_REASON_RESTART);
            assert_false(lanes_page_read(loop_of(h)->lanes.page, i, &lane));
        }
        for (int i = 0; i < 400 && (!house_trades(h) || open_orders(h, c[0].id.strategy_id)); i++) {
            house_pump(h, 10);
            usleep(i > 20 ? 5000 : 0);
        }
        assert_true(house_trades(h));
        assert_int_equal(open_orders(h, c[0].id.strategy_id), 0); /* LANE_CANCEL, in the new life */
        assert_true(open_orders(h, c[1].id.strategy_id) <= kept);
        assert_int_equal(canceled_orders(h, c[1].id.strategy_id), 0);
        const bool known = order_find(engine_orders(loop_of(h)->engine), last) != ORDER_NONE;
        assert_int_equal(known, deadly != ENGINE_STEP_APPLIED);
        check_journal(h);
    }
    house_close(h);
}

static void test_an_orderly_stop_closes_lanes_before_the_snapshot(void **state)
{
    (void)state;
    static client_t c;
    house_t        *h = quiet(39);
    client_lease(h, HOUSE_KEEPER, &c);
    client_rest(h, &c, 3);
    FILE *out                           = tmpfile();
    h->ctx->files[h->ctx->file_count++] = (role_file_t){.fd = dup(fileno(out)), .kind = ROLE_FILE_SNAPSHOT_OUT};
    atomic_store(&h->words->stop, 1);
    int code = -1;
    for (int i = 0; i < 10000 && code < 0; i++) {
        code = engine_pass(h->e);
        house_venue(h);
        house_journal(h);
    }
    assert_int_equal(code, 0);
    snapshot_info_t info;
    assert_int_equal(snapshot_head(fileno(out), &info), ERR_OK);
    assert_int_equal(info.state_hash, engine_state_hash(loop_of(h)->engine)); /* the closing is in it */
    assert_int_equal(info.sequence, loop_of(h)->sequence);
    check_ended(h, &c, LANE_REASON_STOP);
    check_journal(h);
    fclose(out);
    atomic_store(&h->words->stop, 0);
    house_close(h);
}

/* ---- turns ------------------------------------------------------------------------------------------------------------- */
static void test_a_client_that_sends_all_the_time_takes_nobodys_turn(void **state)
{
    (void)state;
    static client_t desk, keeper;
    house_t        *h = quiet(40);
    engine_loop_t  *l = loop_of(h);
    client_lease(h, HOUSE_DESK, &desk);
    client_lease(h, HOUSE_KEEPER, &keeper);
    const uint64_t began = (uint64_t)role_mono_ns();
    uint32_t       sends = 0;
    for (uint32_t turn = 0; turn < 200; turn++) {
        if (turn < 10) { /* orders of its leave, and market data is read all the same */
            l->mono_offset_ns += 100 * NS_PER_MS;
        }
        order_req_t req = client_new(h, &desk, SIDE_BUY, 12);
        req.tif         = TIF_IOC;
        while (desk.sent_count < SENT_MAX && client_say(&desk, MSG_ORDER_REQUEST, &req) == ERR_OK) {
            desk.sent[desk.sent_count++] = req.cl_ord_id;
            req.cl_ord_id                = cl_ord_id_make(desk.id.epoch, desk.id.strategy_id, ++desk.seq);
            req.qty += engine_instrument(l->engine, INSTRUMENT)->def.lot;
        }
        const uint64_t md = counted(h, COUNTER_MD_MESSAGES), requests = counted(h, COUNTER_LANE_REQUESTS);
        house_market(h, 1);
        const uint64_t waiting = h->md_messages;
        assert_int_equal(client_ask(h, &keeper, qty_of(h)), ERR_OK);
        const uint64_t ord = l->ord.next;
        house_turn(h);
        sends += l->ord.next > ord;
        client_hear(&keeper);
        assert_int_equal(keeper.answers, keeper.asked);    /* in this very turn */
        assert_true(counted(h, COUNTER_MD_MESSAGES) > md); /* likewise */
        assert_int_equal(l->sources[0].md.next - 1, waiting);
        assert_true(counted(h, COUNTER_LANE_REQUESTS) - requests <= ENGINE_LANE_BUDGET + 1);
        client_hear(&desk);
        house_venue(h);
        house_journal(h);
    }
    /* and it fills no journal: a second's worth at once, then by time */
    const uint64_t ns = (uint64_t)role_mono_ns() - began, rate = ENGINE_LANE_FLOOD * 250;
    assert_true(desk.verdicts > rate - 1);
    assert_true(desk.verdicts <= rate + ENGINE_LANE_BUDGET + ns * rate / NS_PER_S);
    assert_true(l->lanes.held);
    assert_true(sends >= 1); /* until a storm of denials ends that (279) */
    assert_true(risk_strategy_killed(engine_risk(l->engine), desk.id.strategy_id));
    for (uint32_t i = 0; i < 3; i++) { /* denied questions cost more */
        assert_int_equal(client_ask(h, &keeper, qty_of(h) * 1000000), ERR_OK);
    }
    for (uint32_t i = 0; i < 32; i++) {
        assert_int_equal(client_ask(h, &keeper, qty_of(h) * 1000000), ERR_OK);
    }
    const uint32_t before = keeper.answers;
    house_turn(h);
    client_hear(&keeper);
    assert_int_equal(keeper.answers - before, ENGINE_LANE_BUDGET / ENGINE_LANE_DENIED);
    /* nor by giving its lane back and leasing it again: that gives it no other second */
    const int64_t since = role_mono_ns();
    lane_leave(&desk.lane);
    house_turn(h);
    client_lease(h, HOUSE_DESK, &desk);
    order_req_t req = client_new(h, &desk, SIDE_BUY, 12);
    req.qty         = 0;
    for (uint32_t i = 0; i < 200; i++) {
        req.cl_ord_id = cl_ord_id_make(desk.id.epoch, desk.id.strategy_id, ++desk.seq);
        assert_int_equal(client_request(&desk, &req), ERR_OK);
    }
    for (uint32_t i = 0; i < 10; i++) {
        house_turn(h);
        client_hear(&desk);
    }
    assert_true(desk.verdicts <= 2 + (uint64_t)(role_mono_ns() - since) * rate / NS_PER_S);
    client_gone(&desk);
    lane_leave(&keeper.lane);
    house_close(h);
}

/* The journal does not get on, and clients send all the same: new orders are denied (154), each denial takes two places,
 * and what is kept for executions and control stays theirs: no client brings the engine to a halt. */
static void test_clients_leave_room_for_executions_when_the_journal_stands(void **state)
{
    (void)state;
    static client_t c;
    house_t        *h = quiet(44);
    engine_loop_t  *l = loop_of(h);
    client_lease(h, HOUSE_DESK, &c);
    l->lanes.lanes[HOUSE_DESK - 1].gap_ns = 0; /* as many clients as it takes */
    order_req_t req                       = client_new(h, &c, SIDE_BUY, 12);
    uint32_t    idle                      = 0;
    for (uint32_t turn = 0; turn < 100000 && idle < 10; turn++) {
        const uint64_t before = l->jrn.next;
        while (client_say(&c, MSG_ORDER_REQUEST, &req) == ERR_OK) {
        }
        house_turn(h);
        ring_meta_t meta;
        const void *payload;
        while (lane_next(&c.lane, &meta, &payload) == ERR_OK) {
        }
        idle = l->jrn.next - before > 1 ? 0 : idle + 1; /* a TICK may be due */
    }
    assert_int_equal(idle, 10);
    assert_false(l->blocked);
    assert_int_not_equal(atomic_load(&l->control->state), ROLE_HALT);
    assert_true(lossless_room(&l->jrn, l->jrn_slots) >= l->jrn_slots / 8 + ENGINE_BATCH_MAX - 2 * ENGINE_LANE_BUDGET);
    const uint64_t taken = counted(h, COUNTER_LANE_REQUESTS);
    house_journal(h);
    house_turn(h);
    assert_true(counted(h, COUNTER_LANE_REQUESTS) > taken); /* what waited is heard then */
    client_gone(&c);
    check_journal(h);
    house_close(h);
}

/* Likewise the way to a venue whose adapter stands: cancels pass risk always, and what is kept is the engine's own. */
static void test_clients_leave_room_for_cancels_when_the_adapter_stands(void **state)
{
    (void)state;
    static client_t c;
    house_t        *h = quiet(45);
    engine_loop_t  *l = loop_of(h);
    client_lease(h, HOUSE_DESK, &c);
    client_rest(h, &c, 1);
    l->lanes.lanes[HOUSE_DESK - 1].gap_ns = 0;
    order_req_t req                       = client_new(h, &c, SIDE_BUY, 12);
    req.action                            = ORDER_ACTION_CANCEL;
    req.orig_cl_ord_id                    = c.sent[0];
    uint32_t idle                         = 0;
    for (uint32_t turn = 0; turn < 100000 && idle < 10; turn++) {
        const uint64_t before = l->ord.next;
        while (client_say(&c, MSG_ORDER_REQUEST, &req) == ERR_OK) {
            req.cl_ord_id = cl_ord_id_make(c.id.epoch, c.id.strategy_id, ++c.seq);
        }
        house_turn(h);
        house_journal(h);
        ring_meta_t meta;
        const void *payload;
        while (lane_next(&c.lane, &meta, &payload) == ERR_OK) {
        }
        idle = l->ord.next > before ? 0 : idle + 1;
    }
    assert_int_equal(idle, 10);
    assert_true(l->ord.next > l->ord_slots / 2);
    assert_false(l->blocked);
    assert_int_not_equal(atomic_load(&l->control->state), ROLE_HALT);
    client_gone(&c);
    look_turn(h);
    house_pump(h, 50); /* the adapter gets on, and so does the engine: the lane's order goes with its client */
    assert_int_equal(open_orders(h, c.id.strategy_id), 0);
    check_journal(h);
    house_close(h);
}

static void test_lanes_allocate_nothing(void **state)
{
    (void)state;
    static client_t c;
    if (!allocations_counted()) {
        print_message("SKIP allocations are not counted under sanitizers\n");
        skip();
    }
    house_t *h = quiet(41);
    client_lease(h, HOUSE_DESK, &c);
    allocations_zero();
    for (uint32_t i = 0; i < 500; i++) {
        client_order(h, &c, SIDE_BUY, i % 9);
        assert_int_equal(client_ask(h, &c, qty_of(h)), ERR_OK);
        house_market(h, 1);
        allocations_watch(true);
        house_turn(h);
        allocations_watch(false);
        house_venue(h);
        house_journal(h);
        client_hear(&c);
    }
    assert_int_equal(allocations_count(), 0);
    assert_int_equal(c.verdicts, 500);
    lane_leave(&c.lane);
    house_close(h);
}

/* ---- mails ------------------------------------------------------------------------------------------------------------- */
static uint32_t descriptors(void)
{
    uint32_t n   = 0;
    DIR     *dir = opendir("/proc/self/fd");
    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

static void mail(int to, role_file_kind_t kind, uint64_t number, int fd)
{
    role_mail_t mail = {.magic = ROLE_MAIL_MAGIC, .file = kind, .number = number, .role = (uint32_t)number & 255u};
    union {
        struct cmsghdr align;
        char           bytes[CMSG_SPACE(sizeof(int))];
    } control            = {0};
    struct iovec  part   = {.iov_base = &mail, .iov_len = sizeof mail};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    *rights = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    assert_int_equal(sendmsg(to, &header, 0), sizeof mail);
}

/* The first n mails of a lease (3: all, 0: only the connection), as the supervisor sends them. Ours of it are kept. */
static void mails(int to, uint64_t number, uint32_t n, int fds[3])
{
    int link[2];
    assert_int_equal(lane_make(HOUSE_LANE_SLOTS, &fds[0], &fds[1]), ERR_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link), 0);
    const role_file_kind_t kinds[3] = {ROLE_FILE_LANE_CMD, ROLE_FILE_LANE_RSP, ROLE_FILE_LANE_LINK};
    for (uint32_t i = n ? 0 : 2; i < (n ? n : 3); i++) {
        mail(to, kinds[i], number, i == 2 ? link[0] : fds[i]);
    }
    close(link[0]);
    fds[2] = link[1];
}

static void drop(int fds[3])
{
    for (uint32_t i = 0; i < 3; i++) {
        close(fds[i]);
    }
}

static void test_three_mails_make_a_lease_and_nothing_is_left_of_others(void **state)
{
    (void)state;
    static client_t c;
    int             ctl[2], fds[3];
    house_t        *h     = quiet(42);
    const uint64_t  epoch = (uint64_t)h->epoch << 40;
    h->config->run.wait   = WAIT_SPIN; /* no news but by the supervisor's word */
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ctl), 0);
    h->ctx->ctl_fd      = ctl[0];
    control_page_t *sim = segment_find(&h->sim, "control", SEGMENT_CONTROL, &(size_t){0});
    control_state(sim, ROLE_RUN);
    const uint32_t before = descriptors();
    for (uint32_t i = 0; i < 3; i++) { /* what an adopting supervisor tells once more hides nothing behind it */
        mail(ctl[1], ROLE_FILE_NONE, i == 0 ? ROLE_SUPERVISOR : ROLE_COUNT, h->dir_fd);
    }
    mails(ctl[1], epoch | 1 << 8 | HOUSE_DESK, 3, fds);
    house_journal(h);
    control_beat(sim, role_mono_ns());
    assert_int_equal(engine_pass(h->e), -1);
    assert_int_equal(loop_of(h)->lanes.open, 0);
    atomic_fetch_add(&h->words->engine_mail, 1);
    assert_int_equal(engine_pass(h->e), -1);
    assert_int_equal(loop_of(h)->lanes.open, 1);
    assert_true(lane_sealed(fds[1]));
    c = (client_t){0};
    assert_int_equal(lane_join(&c.lane, fds[0], fds[1], fds[2]), ERR_OK);
    client_hear(&c);
    assert_int_equal(c.id.lease, (epoch | 1 << 8) >> 8);
    assert_int_equal(client_ask(h, &c, qty_of(h)), ERR_OK);
    assert_int_equal(engine_pass(h->e), -1);
    client_hear(&c);
    assert_int_equal(c.answers, 1);
    lane_leave(&c.lane);
    look_turn(h);
    assert_int_equal(loop_of(h)->lanes.open, 0);
    assert_int_equal(descriptors(), before);
    /* a connection alone; the beginning of a lease whose supervisor ended; a lease that cannot be; then a good one */
    static const struct {
        uint32_t mails, lane_id;
    } rows[] = {{0, HOUSE_DESK}, {1, HOUSE_DESK}, {2, HOUSE_DESK}, {3, 9}, {2, HOUSE_KEEPER}, {3, HOUSE_DESK}};
    for (uint32_t i = 0; i < 6; i++) {
        mails(ctl[1], epoch | (i + 2) << 8 | rows[i].lane_id, rows[i].mails, fds);
        atomic_fetch_add(&h->words->engine_mail, 1);
        assert_int_equal(engine_pass(h->e), -1);
        assert_int_equal(lane_sealed(fds[1]), i == 5);
        drop(fds);
    }
    look_turn(h); /* the last one's client is gone already */
    assert_int_equal(loop_of(h)->lanes.open, 0);
    assert_int_equal(descriptors(), before);
    close(ctl[0]);
    close(ctl[1]);
    h->ctx->ctl_fd = -1;
    check_journal(h);
    house_close(h);
}

/* ---- sleep ------------------------------------------------------------------------------------------------------------- */
static atomic_bool over;

static void *engine_thread(void *arg)
{
    house_t *h = arg;
    while (!atomic_load(&over)) {
        MUST(engine_pass(h->e) == -1);
    }
    return NULL;
}

/* Asks after a pause in which the engine falls asleep; a bell that it does not hear costs it a tick, 100 ms. */
static void ask_the_sleeping(house_t *h, client_t *c, bool waitv)
{
    pthread_t      thread;
    uint64_t       rnd         = seeded_seed(waitv ? "waitv" : "naps");
    const uint32_t rounds      = (uint32_t)seeded_rounds(getenv("HWAL_QUICK") ? 40 : 200, 20000);
    uint32_t       late        = 0;
    const int64_t  qty         = qty_of(h);
    const uint64_t slept       = counted(h, COUNTER_SLEEPS);
    loop_of(h)->lanes.no_waitv = !waitv;
    atomic_store(&over, false);
    assert_int_equal(pthread_create(&thread, NULL, engine_thread, h), 0);
    for (uint32_t i = 0; i < rounds; i++) {
        usleep((useconds_t)(seeded_next(&rnd) % 3000));
        const int64_t began = role_mono_ns();
        for (uint32_t n = 0; n <= i % 16; n++) { /* more than one turn takes, too */
            const risk_check_req_t req = {
                .corr_lo = c->asked, .qty = qty, .account_id = 1, .instrument_id = INSTRUMENT};
            assert_int_equal(client_say(c, MSG_RISK_CHECK_REQUEST, &req), ERR_OK);
            c->asked++;
        }
        while (c->answers < c->asked) {
            assert_int_equal(lane_wait(&c->lane, 0, NS_PER_S), ERR_OK);
            client_hear(c);
        }
        late += role_mono_ns() - began > 40 * NS_PER_MS;
    }
    atomic_store(&over, true);
    role_bell(h->ctx, ROLE_ENGINE);
    pthread_join(thread, NULL);
    const bool kept = !loop_of(h)->lanes.no_waitv;
    print_message("%u questions to a sleeping engine, %u late, %llu sleeps, futex_waitv %s\n", rounds, late,
                  (unsigned long long)(counted(h, COUNTER_SLEEPS) - slept), kept ? "yes" : "no");
    assert_true(late <= rounds / 50);
    assert_true(counted(h, COUNTER_SLEEPS) - slept > rounds / 4);
    assert_true(!waitv || kept); /* Linux 5.16 */
}

static void test_a_sleeping_engine_hears_its_clients(void **state)
{
    (void)state;
    static client_t c, other;
    house_t        *h = quiet(43);
    client_lease(h, HOUSE_QUIZ, &c);
    client_lease(h, HOUSE_DESK, &other);
    ask_the_sleeping(h, &c, true);
    ask_the_sleeping(h, &c, false);
    lane_leave(&c.lane);
    lane_leave(&other.lane);
    house_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders_of_a_lane_fill_and_each_request_has_its_verdict_in_order),
        cmocka_unit_test(test_questions_to_risk_leave_no_trace),
        cmocka_unit_test(test_a_lane_has_its_rights_and_its_quota_and_no_more),
        cmocka_unit_test(test_a_client_that_does_what_it_may_not_harms_itself_alone),
        cmocka_unit_test(test_flipped_bytes_are_judged_or_end_the_lane),
        cmocka_unit_test(test_a_client_that_does_not_read_is_closed_and_its_orders_go),
        cmocka_unit_test(test_orders_of_a_killed_client_go_or_stay_by_its_policy),
        cmocka_unit_test(test_a_lane_is_leased_once_at_a_time),
        cmocka_unit_test(test_a_death_of_the_engine_at_each_step_closes_its_lanes),
        cmocka_unit_test(test_an_orderly_stop_closes_lanes_before_the_snapshot),
        cmocka_unit_test(test_a_client_that_sends_all_the_time_takes_nobodys_turn),
        cmocka_unit_test(test_clients_leave_room_for_executions_when_the_journal_stands),
        cmocka_unit_test(test_clients_leave_room_for_cancels_when_the_adapter_stands),
        cmocka_unit_test(test_lanes_allocate_nothing),
        cmocka_unit_test(test_three_mails_make_a_lease_and_nothing_is_left_of_others),
        cmocka_unit_test(test_a_sleeping_engine_hears_its_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
