/* Lanes: who may send requests, what becomes of orders when a client goes, and the risk question.
 *
 * Checked   every sentence of "Lanes" in engine.h: each gate with its code, what is denied there uses no id up; a record
 * that is wrong says so and changes nothing; a close cancels what the lane had, and only that, in portions, again after a
 * second, whoever holds the next lease, also after BOOT and from a snapshot; a client is told an epoch and a first
 * sequence that are good. The question changes no byte and says what the order will meet (random worlds, seeded). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/engine/engine_private.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/seeded.h"

#define MS NS_PER_MS

static int setup(void **state)
{
    world_t *w = calloc(1, sizeof *w);
    world_open(w, 3, 2);
    world_book(w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

static lane_t lane_now(const world_t *w, uint32_t lane_id)
{
    lane_t lane;
    assert_true(engine_lane(w->engine, lane_id, &lane));
    return lane;
}

static void lane_move(world_t *w, uint32_t lane_id, lane_state_t to, lane_policy_t on_close)
{
    const lane_t lane = world_lane(w, lane_id, to, on_close);
    assert_int_equal(world_apply_body(w, MSG_LANE, &lane), ERR_OK);
}

/* Buys of 1 at rising prices, each acknowledged. */
static void orders(world_t *w, uint32_t lane_id, uint32_t account_id, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        w->now += 20 * MS;
        world_book(w, 0, 9990, 10010);
        const order_req_t req = {.side        = SIDE_BUY,
                                 .px          = 9901 + (int64_t)(w->id % 80),
                                 .qty         = 1,
                                 .account_id  = account_id,
                                 .strategy_id = lane_id};
        assert_int_equal(world_order(w, req), 0);
        exec_report_t ack = world_report(w, w->id, EXEC_TYPE_NEW);
        ack.cl_ord_id     = cl_ord_id_make(engine_epoch(w->engine), lane_id, w->id);
        assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &ack), ERR_OK);
    }
}

/* Cancels that the newest input sent; each must be of this lane, by the engine. */
static uint32_t cancels(const world_t *w, uint32_t lane_id)
{
    uint32_t n = 0;
    for (const order_req_t *req; (req = world_out(w, MSG_ORDER_REQUEST, n)) != NULL; n++) {
        assert_int_equal(req->action, ORDER_ACTION_CANCEL);
        assert_int_equal(cl_ord_id_origin(req->cl_ord_id), 0);
        assert_int_equal(cl_ord_id_epoch(req->cl_ord_id), engine_epoch(w->engine));
        assert_int_equal(cl_ord_id_origin(req->orig_cl_ord_id), lane_id);
        assert_int_equal(req->strategy_id, lane_id);
    }
    return n;
}

/* ---- records ----------------------------------------------------------------------------------------------------- */
static void refused(world_t *w, lane_t lane, err_t want, const char *word)
{
    const lane_t before[] = {lane_now(w, 1), lane_now(w, 2)};
    assert_int_equal(world_apply_body(w, MSG_LANE, &lane), want);
    assert_non_null(strstr(err_msg(), word));
    assert_int_equal(w->out.len, 0);
    for (uint32_t id = 1; id <= 2; id++) {
        const lane_t after = lane_now(w, id);
        assert_memory_equal(&before[id - 1], &after, sizeof after);
    }
}

#define REFUSED(w, state, want, word, edit)                                                                            \
    do {                                                                                                               \
        lane_t lane = world_lane(w, 1, state, LANE_KEEP);                                                              \
        edit;                                                                                                          \
        refused(w, lane, want, word);                                                                                  \
    } while (0)

static void test_lanes_refuse_records_that_are_wrong(void **state)
{
    world_t *w = *state;
    lane_t   l;
    assert_false(engine_lane(w->engine, 0, &l));
    assert_false(engine_lane(w->engine, WORLD_LANES + 1, &l));
    REFUSED(w, LANE_OPEN, ERR_NOT_FOUND, "lane 0", lane.lane_id = 0);
    REFUSED(w, LANE_OPEN, ERR_NOT_FOUND, "lane 3", lane.lane_id = 3);
    REFUSED(w, LANE_OPEN, ERR_ARG, "state 0", lane.state = LANE_NONE);
    REFUSED(w, LANE_OPEN, ERR_ARG, "state 3", lane.state = LANE_STATE_COUNT);
    REFUSED(w, LANE_OPEN, ERR_ARG, "lease", lane.lease = 0);
    REFUSED(w, LANE_OPEN, ERR_ARG, "tenant", lane.tenant_id = 2);
    REFUSED(w, LANE_OPEN, ERR_ARG, "strategy", lane.strategy_id = 2);
    REFUSED(w, LANE_OPEN, ERR_ARG, "accounts", lane.accounts = 0);
    REFUSED(w, LANE_OPEN, ERR_ARG, "accounts", lane.accounts = 1u << 1 | 1u << 3);
    REFUSED(w, LANE_OPEN, ERR_ARG, "accounts", lane.accounts = 3);
    REFUSED(w, LANE_OPEN, ERR_ARG, "rights", lane.rights = 0);
    REFUSED(w, LANE_OPEN, ERR_ARG, "rights", lane.rights = 64);
    REFUSED(w, LANE_OPEN, ERR_ARG, "policy", lane.on_close = 2);
    REFUSED(w, LANE_OPEN, ERR_ARG, "reason", lane.reason = LANE_REASON_DEAD);
    REFUSED(w, LANE_OPEN, ERR_ARG, "epoch", lane.epoch = 3);
    REFUSED(w, LANE_OPEN, ERR_ARG, "sequence", lane.first_seq = 1);
    REFUSED(w, LANE_CLOSED, ERR_STATE, "not open", (void)0);
    lane_move(w, 1, LANE_OPEN, LANE_KEEP);
    REFUSED(w, LANE_OPEN, ERR_EXISTS, "pid 4711", (void)0);
    REFUSED(w, LANE_CLOSED, ERR_STATE, "lease", lane.lease++);
    REFUSED(w, LANE_CLOSED, ERR_ARG, "reason", lane.reason = LANE_REASON_NONE);
    REFUSED(w, LANE_CLOSED, ERR_ARG, "reason", lane.reason = LANE_REASON_COUNT);
    lane_move(w, 2, LANE_OPEN, LANE_KEEP); /* leases rise over all lanes */
    lane_move(w, 1, LANE_CLOSED, LANE_KEEP);
    REFUSED(w, LANE_OPEN, ERR_ARG, "newest", lane.lease--);
    lane_move(w, 1, LANE_OPEN, LANE_KEEP);
    assert_int_equal(lane_now(w, 1).lease, 3);
}

static void test_lanes_bounds_of_the_configuration(void **state)
{
    (void)state;
    engine_cfg_t cfg = {.epoch           = 1,
                        .tenant_id       = 1,
                        .instruments_max = 1,
                        .accounts_max    = 1,
                        .orders_max      = 1,
                        .fills_max       = 1,
                        .lanes_max       = ENGINE_LANES_MAX,
                        .stale_ns        = 1,
                        .book            = {.window_ticks = 64, .far_slots = 64}};
    risk_cfg_default(&cfg.risk);
    assert_true(engine_footprint(&cfg) > 0);
    cfg.lanes_max++;
    assert_int_equal(engine_footprint(&cfg), 0);
    assert_non_null(strstr(err_msg(), "lanes 17 (0..16)"));
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */
static uint16_t send(world_t *w, const order_req_t *req)
{
    assert_int_equal(world_apply_body(w, MSG_ORDER_REQUEST, req), ERR_OK);
    assert_int_equal(world_out_count(w, MSG_VERDICT), 1);
    const verdict_t *v = world_out_first(w, MSG_VERDICT);
    assert_int_equal(v->cl_ord_id, req->cl_ord_id);
    assert_int_equal(v->strategy_id, req->strategy_id);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), v->code == 0);
    return v->code;
}

static void test_lanes_let_in_what_is_theirs(void **state)
{
    world_t    *w   = *state;
    order_req_t req = {.cl_ord_id       = cl_ord_id_make(3, 1, 1),
                       .tenant_id       = 1,
                       .account_id      = 1,
                       .strategy_id     = 1,
                       .instrument_id   = 1,
                       .action          = ORDER_ACTION_NEW,
                       .side            = SIDE_BUY,
                       .ord_type        = ORD_TYPE_LIMIT,
                       .tif             = TIF_GTC,
                       .px              = 9990,
                       .qty             = 1,
                       .created_mono_ns = w->now};
    assert_int_equal(send(w, &req), RISK_STRATEGY_NOT_APPROVED); /* never opened */
    lane_t lane   = world_lane(w, 1, LANE_OPEN, LANE_KEEP);
    lane.accounts = 1u << 1;
    lane.rights   = LANE_RIGHT_CHECK;
    assert_int_equal(world_apply_body(w, MSG_LANE, &lane), ERR_OK);
    assert_int_equal(send(w, &req), RISK_NOT_AUTHORISED);
    lane_move(w, 1, LANE_CLOSED, LANE_KEEP);
    assert_int_equal(send(w, &req), RISK_STRATEGY_NOT_APPROVED);
    const risk_in_t in = {
        .req = &req, .ins = engine_instrument(w->engine, 1), .orders = engine_orders(w->engine), .now.mono_ns = w->now};
    risk_probe_t p; /* and so says risk itself, without the gate of lanes before it */
    risk_probe(engine_risk(w->engine), &in, &p);
    assert_int_equal(p.verdict.code, RISK_STRATEGY_NOT_APPROVED);
    lane          = world_lane(w, 1, LANE_OPEN, LANE_KEEP);
    lane.accounts = 1u << 1;
    lane.rights   = LANE_RIGHT_ORDER;
    assert_int_equal(world_apply_body(w, MSG_LANE, &lane), ERR_OK);
    const struct {
        uint32_t tenant, account, strategy;
        uint64_t id;
        uint16_t code;
    } rows[] = {
        {2, 1, 1, cl_ord_id_make(3, 1, 1), RISK_WRONG_TENANT},
        {1, 2, 1, cl_ord_id_make(3, 1, 1), RISK_NOT_AUTHORISED},
        {1, 65, 1, cl_ord_id_make(3, 1, 1), RISK_NOT_AUTHORISED}, /* 1 << 65 is no bit of the accounts */
        {1, 1, 2, cl_ord_id_make(3, 1, 1), RISK_BAD_CLIENT_ORDER_ID},
        {1, 1, 2, cl_ord_id_make(3, 2, 1), RISK_STRATEGY_NOT_APPROVED}, /* of the other lane, which is not open */
        {1, 1, 0, cl_ord_id_make(3, 1, 1), RISK_BAD_CLIENT_ORDER_ID},
        {1, 1, 0, cl_ord_id_make(3, 0, 1), RISK_BAD_CLIENT_ORDER_ID}, /* the engine's own */
        {1, 1, 3, cl_ord_id_make(3, 3, 1), RISK_BAD_CLIENT_ORDER_ID}, /* there are two */
        {1, 1, UINT32_MAX, cl_ord_id_make(3, 1, 1), RISK_BAD_CLIENT_ORDER_ID},
        {1, 1, 1, cl_ord_id_make(4, 1, 1), RISK_BAD_CLIENT_ORDER_ID},
        {1, 1, 1, cl_ord_id_make(3, 1, 0), RISK_BAD_CLIENT_ORDER_ID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        order_req_t q = req;
        q.tenant_id   = rows[i].tenant;
        q.account_id  = rows[i].account;
        q.strategy_id = rows[i].strategy;
        q.cl_ord_id   = rows[i].id;
        assert_int_equal(send(w, &q), rows[i].code);
    }
    assert_int_equal(send(w, &req), RISK_ACCEPTED); /* its id is unused to this moment */
    assert_int_equal(lane_now(w, 1).first_seq, 2);
    assert_int_equal(lane_now(w, 2).first_seq, 1);
}

static void test_lanes_change_no_order_of_another(void **state)
{
    world_t *w = *state;
    orders(w, 1, 1, 1);
    const uint64_t first = cl_ord_id_make(3, 1, w->id);
    order_req_t    req   = {.action         = ORDER_ACTION_CANCEL,
                            .orig_cl_ord_id = first,
                            .strategy_id    = 2,
                            .side           = SIDE_BUY,
                            .px             = 9950,
                            .qty            = 2};
    assert_int_equal(world_order(w, req), RISK_UNKNOWN_ORDER);
    req.action = ORDER_ACTION_REPLACE;
    assert_int_equal(world_order(w, req), RISK_UNKNOWN_ORDER);
    req.strategy_id    = 1;
    req.orig_cl_ord_id = first + 1000; /* of nobody: risk's to say */
    assert_int_equal(world_order(w, req), RISK_UNKNOWN_ORDER);
    req.orig_cl_ord_id = first;
    assert_int_equal(world_order(w, req), RISK_ACCEPTED);
    lane_move(w, 1, LANE_CLOSED, LANE_KEEP);
    lane_move(w, 1, LANE_OPEN, LANE_KEEP); /* the next lease finds the orders of the lane and may change them */
    req.action = ORDER_ACTION_CANCEL;
    assert_int_equal(world_order(w, req), RISK_ACCEPTED);
}

/* ---- closing ----------------------------------------------------------------------------------------------------- */
static void test_lanes_close_cancels_what_the_lane_had(void **state)
{
    world_t *w = *state;
    lane_move(w, 1, LANE_OPEN, LANE_CANCEL);
    orders(w, 1, 1, 2);
    orders(w, 2, 1, 2);
    orders(w, 1, 2, 1);
    lane_move(w, 1, LANE_CLOSED, LANE_KEEP); /* the policy is the one that it was opened with */
    assert_int_equal(lane_now(w, 1).reason, LANE_REASON_RELEASED);
    assert_int_equal(cancels(w, 1), 3);
    assert_int_equal(((const order_req_t *)world_out_first(w, MSG_ORDER_REQUEST))->account_id, 2); /* newest first */
    world_book(w, 0, 9990, 10010);
    assert_int_equal(cancels(w, 1), 0); /* each once */
    assert_int_equal(order_open_count(engine_orders(w->engine)), 5);
}

static void test_lanes_close_keeps_when_it_is_to_keep(void **state)
{
    world_t *w = *state;
    orders(w, 1, 1, 2);
    lane_move(w, 1, LANE_CLOSED, LANE_CANCEL);
    assert_int_equal(w->out.len, 0);
    world_tick(w, 2 * NS_PER_S);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0);
}

static void canceled(world_t *w, uint32_t lane_id, uint64_t seq)
{
    exec_report_t r = world_report(w, seq, EXEC_TYPE_CANCELED);
    r.cl_ord_id     = cl_ord_id_make(3, lane_id, seq);
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &r), ERR_OK);
}

static void test_lanes_close_insists_and_leaves_the_next_lease_alone(void **state)
{
    world_t *w = *state;
    lane_move(w, 1, LANE_OPEN, LANE_CANCEL);
    orders(w, 1, 1, 2); /* ids 1 and 2 */
    lane_move(w, 1, LANE_CLOSED, LANE_CANCEL);
    assert_int_equal(cancels(w, 1), 2);
    lane_move(w, 1, LANE_OPEN, LANE_CANCEL);
    assert_int_equal(lane_now(w, 1).first_seq, 3);
    orders(w, 1, 1, 1); /* id 3, of the next one */
    exec_report_t no = world_report(w, 1, EXEC_TYPE_CANCEL_REJECT);
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &no), ERR_OK);
    assert_int_equal(cancels(w, 1), 0); /* not within the second */
    w->now += NS_PER_S;
    world_t moved;
    world_copy(&moved, w); /* what is being swept lies in the arena */
    assert_int_equal(engine_state_hash(moved.engine), engine_state_hash(w->engine));
    world_t *both[] = {w, &moved};
    for (int i = 0; i < 2; i++) {
        world_book(both[i], 0, 9990, 10010);
        assert_int_equal(cancels(both[i], 1), 1);
        assert_int_equal(((const order_req_t *)world_out_first(both[i], MSG_ORDER_REQUEST))->orig_cl_ord_id,
                         cl_ord_id_make(3, 1, 1));
    }
    world_close(&moved);
    canceled(w, 1, 1);
    canceled(w, 1, 2);
    world_tick(w, 2 * NS_PER_S);
    assert_int_equal(world_out_count(w, MSG_ORDER_REQUEST), 0); /* 3 stays */
    lane_move(w, 1, LANE_CLOSED, LANE_CANCEL);
    assert_int_equal(cancels(w, 1), 1);
}

static void test_lanes_close_cancels_in_portions(void **state)
{
    world_t *w = *state;
    lane_move(w, 1, LANE_OPEN, LANE_CANCEL);
    lane_move(w, 2, LANE_OPEN, LANE_CANCEL);
    orders(w, 2, 1, 10); /* the oldest: the portions of lane 1 end before them */
    orders(w, 1, 1, 40);
    orders(w, 1, 2, 50);
    lane_move(w, 2, LANE_CLOSED, LANE_CANCEL);
    assert_int_equal(cancels(w, 2), 10);
    lane_move(w, 1, LANE_CLOSED, LANE_CANCEL);
    assert_int_equal(cancels(w, 1), ENGINE_SWEEP_MAX);
    assert_int_equal(w->engine->s->lanes_swept, 3); /* what was not looked at is not over */
    world_book(w, 0, 9990, 10010);
    assert_int_equal(cancels(w, 1), 90 - ENGINE_SWEEP_MAX);
    world_book(w, 0, 9990, 10010);
    assert_int_equal(cancels(w, 1), 0);
}

/* Two at a time do not disturb each other, whichever ends first, and what has ended leaves nothing behind. */
static void test_lanes_sweeps_end_one_by_one(void **state)
{
    world_t *w = *state;
    for (uint32_t first = 1; first <= 2; first++) {
        const uint32_t other = 3 - first;
        uint64_t       seq[3];
        for (uint32_t lane = 1; lane <= 2; lane++) {
            lane_move(w, lane, LANE_OPEN, LANE_CANCEL);
            orders(w, lane, 1, 1);
            seq[lane] = w->id;
        }
        for (uint32_t lane = 1; lane <= 2; lane++) {
            lane_move(w, lane, LANE_CLOSED, LANE_CANCEL);
            assert_int_equal(cancels(w, lane), 1);
        }
        assert_int_equal(w->engine->s->lanes_swept, 3);
        canceled(w, first, seq[first]);
        w->now += NS_PER_S; /* the next look finds nothing of the first */
        exec_report_t no = world_report(w, 0, EXEC_TYPE_CANCEL_REJECT);
        no.cl_ord_id     = cl_ord_id_make(3, other, seq[other]);
        assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &no), ERR_OK);
        assert_int_equal(cancels(w, other), 1);
        assert_int_equal(w->engine->s->lanes_swept, 1u << (other - 1));
        assert_int_equal(w->engine->s->lanes[first - 1].sweep_mark, 0);
        assert_int_not_equal(w->engine->s->lanes[other - 1].sweep_mark, 0);
        canceled(w, other, seq[other]);
        world_tick(w, NS_PER_S);
        assert_int_equal(w->engine->s->lanes_swept, 0);
        assert_int_equal(w->engine->s->lanes[other - 1].sweep_mark, 0);
    }
}

static void test_lanes_end_with_the_life(void **state)
{
    world_t *w = *state;
    lane_move(w, 1, LANE_OPEN, LANE_CANCEL);
    orders(w, 1, 1, 1);
    orders(w, 2, 1, 1);
    world_control(w, CONTROL_KILL, SCOPE_STRATEGY, 2, 0); /* any input: nothing is swept */
    assert_int_equal(w->out.len, 0);
    const boot_t boot = {.epoch = 5};
    assert_int_equal(world_apply_body(w, MSG_BOOT, &boot), ERR_OK);
    assert_int_equal(cancels(w, 1), 1);
    for (uint32_t id = 1; id <= 2; id++) {
        const lane_t lane = lane_now(w, id);
        assert_int_equal(lane.state, LANE_CLOSED);
        assert_int_equal(lane.reason, LANE_REASON_RESTART);
        assert_int_equal(lane.epoch, 5);
        assert_int_equal(lane.first_seq, 1);
    }
    lane_move(w, 1, LANE_OPEN, LANE_CANCEL);
    assert_int_equal(lane_now(w, 1).lease, 3); /* leases go on */
    exec_report_t no = world_report(w, 1, EXEC_TYPE_CANCEL_REJECT);
    no.cl_ord_id     = cl_ord_id_make(3, 1, 1);
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &no), ERR_OK);
    w->now += NS_PER_S;
    world_book(w, 0, 9990, 10010);
    assert_int_equal(cancels(w, 1), 1); /* insists in the new life, about an id of the old one */
}

/* ---- what must be in the hash: each of these differs in nothing but a lane --------------------------------------- */
static void test_lanes_are_in_the_state_hash(void **state)
{
    world_t *w = *state;
    world_t  c;
    lane_t   one = world_lane(w, 1, LANE_OPEN, LANE_KEEP), other = one;
    other.pid++;
    world_copy(&c, w);
    assert_int_equal(world_apply_body(w, MSG_LANE, &one), ERR_OK);
    assert_int_equal(world_apply_body(&c, MSG_LANE, &other), ERR_OK);
    assert_int_not_equal(engine_state_hash(w->engine), engine_state_hash(c.engine));
    world_close(&c);
}

/* ---- the question ------------------------------------------------------------------------------------------------ */
static risk_check_resp_t ask(const world_t *w, uint32_t lane_id, const risk_check_req_t *req)
{
    risk_check_resp_t out;
    size_t            bytes;
    const void       *image  = engine_image(w->engine, &bytes);
    void             *before = memcpy(malloc(bytes), image, bytes);
    memset(&out, 0xa5, sizeof out);
    engine_risk_check(w->engine, (now_t){.mono_ns = w->now, .utc_ns = w->now + w->utc_ahead}, lane_id, req, &out);
    assert_memory_equal(before, image, bytes);
    free(before);
    return out;
}

static risk_check_req_t question(side_t side, int64_t px, int64_t qty)
{
    return (risk_check_req_t){.corr_hi       = 7,
                              .corr_lo       = 8,
                              .px            = px,
                              .qty           = qty,
                              .account_id    = 1,
                              .instrument_id = 1,
                              .side          = (uint8_t)side,
                              .ord_type      = ORD_TYPE_LIMIT,
                              .tif           = TIF_GTC};
}

static void test_lanes_question_has_the_lanes_rights(void **state)
{
    world_t          *w    = *state;
    risk_check_req_t  req  = question(SIDE_BUY, 9990, 1);
    const uint32_t    no[] = {0, 3, UINT32_MAX};
    risk_check_resp_t r;
    for (size_t i = 0; i < 3; i++) {
        r = ask(w, no[i], &req);
        assert_int_equal(r.code, RISK_NOT_AUTHORISED);
        assert_int_equal(r.approved, 0);
        assert_int_equal(r.risk_score, RISK_SCORE_MAX);
    }
    assert_int_equal(ask(w, 1, &req).code, RISK_STRATEGY_NOT_APPROVED);
    lane_t lane   = world_lane(w, 1, LANE_OPEN, LANE_KEEP);
    lane.accounts = 1u << 1;
    lane.rights   = LANE_RIGHT_ORDER;
    assert_int_equal(world_apply_body(w, MSG_LANE, &lane), ERR_OK);
    assert_int_equal(ask(w, 1, &req).code, RISK_NOT_AUTHORISED);
    lane_move(w, 1, LANE_CLOSED, LANE_KEEP);
    lane          = world_lane(w, 1, LANE_OPEN, LANE_KEEP);
    lane.accounts = 1u << 1;
    lane.rights   = LANE_RIGHT_CHECK; /* may ask what it may not do */
    assert_int_equal(world_apply_body(w, MSG_LANE, &lane), ERR_OK);
    r = ask(w, 1, &req);
    assert_int_equal(r.code, RISK_ACCEPTED);
    assert_int_equal(r.approved, 1);
    assert_int_equal(r.adjusted_qty, 1);
    assert_int_equal(r.px, 9990);
    assert_int_equal(r.corr_hi, 7);
    assert_int_equal(r.corr_lo, 8);
    assert_int_equal(r.portfolio_version, engine_seq(w->engine));
    assert_int_equal(r.engine_utc_ns, w->now + w->utc_ahead);
    assert_int_equal(r.account_id, 1);
    assert_int_equal(r.instrument_id, 1);
    assert_int_equal(r.limit_version, risk_limit_version(engine_risk(w->engine)));
    req.account_id = 2;
    assert_int_equal(ask(w, 1, &req).code, RISK_NOT_AUTHORISED);
    req           = question(SIDE_BUY, 9990, 1);
    req.reserved2 = 1;
    assert_int_equal(ask(w, 1, &req).code, RISK_BAD_MESSAGE);
    req               = question(SIDE_BUY, 9990, 1);
    req.instrument_id = 4; /* room for it, not defined */
    assert_int_equal(ask(w, 1, &req).code, RISK_UNKNOWN_INSTRUMENT);
    req = question(SIDE_BUY, 9990, 1500);
    r   = ask(w, 1, &req);
    assert_int_equal(r.code, RISK_MAX_ORDER_QTY);
    assert_int_equal(r.scope_type, SCOPE_INSTRUMENT);
    assert_int_equal(r.scope_id, 1);
    assert_int_equal(r.observed, 1500);
    assert_int_equal(r.limit, 1000);
    assert_int_equal(r.adjusted_qty, 1000);
    assert_int_equal(r.risk_score, RISK_SCORE_MAX);
    w->now += 3 * NS_PER_S; /* the answer is of the moment that is given, not of the last input */
    req = question(SIDE_BUY, 9990, 1);
    assert_int_equal(ask(w, 1, &req).code, RISK_STALE_MARKET_DATA);
    const top_t quote = {
        .instrument_id = 1, .venue_seq = w->rpt_seq + 100, .bid_px = 9990, .bid_qty = 1, .ask_px = 10010, .ask_qty = 1};
    assert_int_equal(world_apply_body(w, MSG_TOP, &quote), ERR_OK);
    w->now += 900 * MS;
    world_book(w, 0, 9990, 10010);
    assert_int_equal(ask(w, 1, &req).code, RISK_STALE_MARKET_DATA); /* the quote leads, and is old */
    w->now += 200 * MS;
    assert_int_equal(ask(w, 1, &req).code, RISK_ACCEPTED); /* too old to lead, by now */
}

static void test_lanes_question_before_the_first_life(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, 0, 1);
    lane_move(&w, 1, LANE_OPEN, LANE_KEEP);
    const risk_check_req_t req = question(SIDE_BUY, 9990, 1);
    assert_int_equal(ask(&w, 1, &req).code, RISK_RECOVERING);
    world_close(&w);
}

/* Whatever happened, the answer is the verdict of the order that is sent next. */
static void test_lanes_question_is_answered_as_the_order_will_be(void **state)
{
    world_t       *w      = *state;
    uint64_t       seed   = seeded_seed("test_engine_lanes");
    const uint64_t steps  = seeded_rounds(getenv("HWAL_QUICK") ? 300 : 1500, 20000);
    uint32_t       passed = 0, cut = 0, denied = 0;
    lane_move(w, 1, LANE_OPEN, LANE_CANCEL);
    world_limit(w, SCOPE_STRATEGY, 1, RISK_FIELD_reject_n, 1024); /* it is denied often, and goes on */
    world_limit(w, SCOPE_STRATEGY, 1, RISK_FIELD_otr_start, INT32_MAX);
    for (uint64_t i = 0; i < steps; i++) {
        const uint64_t r = seeded_next(&seed);
        w->now += (int64_t)(r % (r / 8 % 8 ? 40 : 900)) * MS;
        if (r / 64 % 8) {
            world_book(w, 0, 9980 + (int64_t)(r / 512 % 20), 10010);
        }
        if (r / 16384 % 32 == 0) {
            world_control(w, CONTROL_KILL, SCOPE_INSTRUMENT, 1, (int64_t)(r / 524288 % 2));
        }
        risk_check_req_t req = question(r / 1048576 % 2 ? SIDE_BUY : SIDE_SELL, 0, 1 + (int64_t)(r >> 24) % 1200);
        req.px         = req.side == SIDE_BUY ? 9700 + (int64_t)(r >> 40) % 310 : 10000 + (int64_t)(r >> 40) % 310;
        req.ord_type   = (r >> 52) % 8 ? ORD_TYPE_LIMIT : ORD_TYPE_MARKET;
        req.tif        = req.ord_type == ORD_TYPE_MARKET ? TIF_IOC : TIF_GTC;
        req.account_id = 1 + (uint32_t)(r >> 56) % 2;
        const risk_check_resp_t said = ask(w, 1, &req);
        const uint16_t          code = world_order(w, (order_req_t){.account_id = req.account_id,
                                                                    .side       = req.side,
                                                                    .ord_type   = req.ord_type,
                                                                    .tif        = req.tif,
                                                                    .px         = req.px,
                                                                    .qty        = req.qty});
        const verdict_t        *v    = world_out_first(w, MSG_VERDICT);
        assert_int_equal(said.code, code);
        assert_int_equal(said.approved, code == 0);
        assert_int_equal(said.observed, v->observed);
        assert_int_equal(said.limit, v->limit);
        assert_int_equal(said.scope_type, v->scope_type);
        assert_int_equal(said.scope_id, v->scope_id);
        assert_int_equal(said.limit_version, v->limit_version);
        assert_true(code == 0 ? said.adjusted_qty == req.qty : said.adjusted_qty < req.qty);
        denied += code != 0;
        if (code == 0) {
            passed++;
            assert_int_equal(said.px, ((const order_req_t *)world_out_first(w, MSG_ORDER_REQUEST))->px);
            exec_report_t done = world_report(w, w->id, (r >> 60) % 2 ? EXEC_TYPE_CANCELED : EXEC_TYPE_TRADE);
            done.side          = req.side;
            done.last_px       = 10000;
            done.last_qty      = req.qty;
            assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &done), ERR_OK);
        } else if (said.adjusted_qty > 0) {
            cut++;
            assert_int_equal(world_order(w, (order_req_t){.account_id = req.account_id,
                                                          .side       = req.side,
                                                          .ord_type   = req.ord_type,
                                                          .tif        = req.tif,
                                                          .px         = req.px,
                                                          .qty        = said.adjusted_qty}),
                             0); /* what it said would pass does */
            exec_report_t gone = world_report(w, w->id, EXEC_TYPE_CANCELED);
            assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &gone), ERR_OK);
        }
    }
    print_message("%u passed, %u denied, %u of them cut\n", passed, denied, cut);
    assert_true(passed > steps / 20 && denied > steps / 20 && cut > steps / 50);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_lanes_refuse_records_that_are_wrong),
        cmocka_unit_test(test_lanes_bounds_of_the_configuration),
        T(test_lanes_let_in_what_is_theirs),
        T(test_lanes_change_no_order_of_another),
        T(test_lanes_close_cancels_what_the_lane_had),
        T(test_lanes_close_keeps_when_it_is_to_keep),
        T(test_lanes_close_insists_and_leaves_the_next_lease_alone),
        T(test_lanes_close_cancels_in_portions),
        T(test_lanes_sweeps_end_one_by_one),
        T(test_lanes_end_with_the_life),
        T(test_lanes_are_in_the_state_hash),
        T(test_lanes_question_has_the_lanes_rights),
        cmocka_unit_test(test_lanes_question_before_the_first_life),
        T(test_lanes_question_is_answered_as_the_order_will_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
