/* The whole engine against a hostile venue, and kills under load.
 *
 *   B6   random histories: a venue whose reports and whose requests are lost, late, doubled and out of order, that refuses
 *        cancels, lets cancels and fills cross, races replaces. It knows the truth: what it filled, what rests there, and
 *        what is still on its way to it. Checked after every input
 *          - L and K of the engine are never below the truth: position and all that may still trade at the venue
 *          - an order leaves only beside its own verdict ACCEPTED (invariant 4); accepted + rejected = received (5)
 *          - position by risk = position by the portfolio = sum of the executions that were told, each once (1)
 *        and now and then the engine goes on from a copy on other memory with the same hash (6); at the end of a history
 *        every report is told at last, and the position is the venue's
 *   R6   every kill level while orders come in, killed twice, while recovering, with the venue down: no new order passes
 *        after it, the first cancel leaves with the very same input, every open order gets one */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/lib/engine_world.h"
#include "tests/lib/seeded.h"

#define STEPS_OF_HISTORY 64u
#define ORDERS_MAX 128u
#define CHANNEL_MAX 512u

typedef struct rest { /* one order as the venue knows it */
    bool    known, live, buy;
    int64_t qty, filled, px;
} rest_t;

typedef struct venue {
    uint64_t      x;
    int64_t       clock; /* the venue's */
    world_t       w;
    rest_t        rest[ORDERS_MAX]; /* by the number of the order: sequence of its ClOrdID */
    uint32_t      rests;
    int64_t       pos;               /* what it filled, signed */
    int64_t       told;              /* the same of executions that the engine heard of */
    order_req_t   up[CHANNEL_MAX];   /* on their way to the venue */
    exec_report_t down[CHANNEL_MAX]; /* and to the engine */
    uint32_t      ups, downs;
    exec_report_t fills[CHANNEL_MAX]; /* every execution, to be told again and at the end */
    bool          heard[CHANNEL_MAX];
    uint32_t      fill_count;
} venue_t;

static uint64_t pick(venue_t *v, uint64_t n)
{
    return seeded_next(&v->x) % n;
}

static bool chance(venue_t *v, unsigned percent)
{
    return pick(v, 100) < percent;
}

static void down(venue_t *v, exec_report_t r)
{
    MUST(v->downs < CHANNEL_MAX);
    if (r.exec_type == EXEC_TYPE_TRADE || !chance(v, 10)) { /* what is no execution may be lost for ever */
        v->down[v->downs++] = r;
    }
}

static exec_report_t report(venue_t *v, uint64_t number, exec_type_t type)
{
    const rest_t *o = &v->rest[number];
    exec_report_t r = world_report(&v->w, number, type);
    r.side          = o->buy ? SIDE_BUY : SIDE_SELL;
    r.cum_qty       = o->filled;
    r.order_qty     = o->qty;
    r.px            = o->px;
    r.ts_event_ns   = ++v->clock; /* which word of the venue is the newer one */
    return r;
}

static void venue_fill(venue_t *v, uint64_t number)
{
    rest_t *o = &v->rest[number];
    if (!o->live || o->filled >= o->qty || v->fill_count == CHANNEL_MAX) {
        return;
    }
    const int64_t qty = 1 + (int64_t)pick(v, (uint64_t)(o->qty - o->filled));
    o->filled += qty;
    v->pos += o->buy ? qty : -qty;
    o->live                   = o->filled < o->qty;
    exec_report_t r           = report(v, number, EXEC_TYPE_TRADE);
    r.last_px                 = o->px;
    r.last_qty                = qty;
    v->fills[v->fill_count++] = r;
    if (!chance(v, 15)) { /* else it is told with the end only */
        down(v, r);
    }
}

/* A request arrives. */
static void venue_take(venue_t *v, const order_req_t *q)
{
    const uint64_t number = cl_ord_id_seq(q->action == ORDER_ACTION_NEW ? q->cl_ord_id : q->orig_cl_ord_id);
    rest_t        *o      = &v->rest[number];
    switch (q->action) {
    case ORDER_ACTION_NEW:
        o->known = true;
        o->live  = !chance(v, 8);
        o->qty   = q->qty;
        o->px    = q->px;
        down(v, report(v, number, o->live ? EXEC_TYPE_NEW : EXEC_TYPE_REJECTED));
        if (o->live && chance(v, 30)) {
            venue_fill(v, number);
        }
        break;
    case ORDER_ACTION_REPLACE:
        if (!o->live || q->qty <= o->filled || chance(v, 25)) {
            down(v, report(v, number, EXEC_TYPE_REPLACE_REJECT));
            break;
        }
        o->qty = q->qty;
        o->px  = q->px;
        down(v, report(v, number, EXEC_TYPE_REPLACED));
        break;
    default:
        if (!o->live || chance(v, 25)) {
            down(v, report(v, number, EXEC_TYPE_CANCEL_REJECT));
            break;
        }
        if (chance(v, 30)) {
            venue_fill(v, number); /* they cross */
        }
        o->live = false;
        down(v, report(v, number, EXEC_TYPE_CANCELED));
    }
}

/* What the engine put out: requests go on their way; a question is answered by what is so at that moment. */
static void take_outputs(venue_t *v)
{
    uint32_t         pos = 0;
    const out_rec_t *rec;
    uint64_t         passed[ENGINE_ACTIONS_MAX], count = 0;
    while ((rec = engine_out_next(&v->w.out, &pos))) {
        if (rec->type == MSG_VERDICT && ((const verdict_t *)(const void *)(rec + 1))->code == RISK_ACCEPTED) {
            passed[count++] = ((const verdict_t *)(const void *)(rec + 1))->cl_ord_id;
        } else if (rec->type == MSG_ORDER_REQUEST) {
            const order_req_t *q    = (const void *)(rec + 1);
            bool               said = false;
            for (uint64_t i = 0; i < count; i++) {
                said |= passed[i] == q->cl_ord_id;
            }
            MUST(said); /* invariant 4 */
            MUST(v->ups < CHANNEL_MAX);
            v->up[v->ups++] = *q;
        } else if (rec->type == MSG_ORDER_STATUS_REQUEST) {
            const order_status_req_t *ask    = (const void *)(rec + 1);
            const uint64_t            number = cl_ord_id_seq(ask->cl_ord_id);
            exec_report_t             r      = report(v, number, EXEC_TYPE_ORDER_STATUS);
            const rest_t             *o      = &v->rest[number];
            bool                      coming = false;
            for (uint32_t i = 0; i < v->ups; i++) { /* a venue that has not yet got it cannot say that it never will */
                coming |= cl_ord_id_seq(v->up[i].cl_ord_id) == number && v->up[i].action == ORDER_ACTION_NEW;
            }
            if (coming || (o->known && !o->live && o->filled < o->qty && chance(v, 50))) {
                continue;
            }
            r.ord_status = !o->known             ? ORD_STATUS_NONE
                           : o->live             ? (o->filled ? ORD_STATUS_PARTIALLY_FILLED : ORD_STATUS_NEW)
                           : o->filled >= o->qty ? ORD_STATUS_FILLED
                                                 : ORD_STATUS_CANCELED;
            r.order_qty  = 0; /* says nothing of replaces that may be on their way */
            r.px         = 0;
            down(v, r);
        }
    }
}

static void judge(venue_t *v)
{
    const risk_t   *risk = engine_risk(v->w.engine);
    risk_exposure_t x;
    position_t      p;
    int64_t         l = v->pos, k = -v->pos;
    for (uint32_t n = 1; n <= v->rests; n++) {
        const rest_t *o    = &v->rest[n];
        int64_t       most = o->live ? o->qty - o->filled : 0; /* what may still trade, whatever arrives first */
        for (uint32_t i = 0; i < v->ups; i++) {
            const order_req_t *q    = &v->up[i];
            const uint64_t     mine = cl_ord_id_seq(q->action == ORDER_ACTION_NEW ? q->cl_ord_id : q->orig_cl_ord_id);
            const bool         may  = q->action == ORDER_ACTION_NEW || (q->action == ORDER_ACTION_REPLACE && o->live);
            if (mine == n && may && q->qty - o->filled > most) {
                most = q->qty - o->filled;
            }
        }
        *(o->buy ? &l : &k) += most;
    }
    MUST(risk_exposure(risk, 1, 1, &x));
    if (x.worst_long < l || x.worst_short < k) {
        fail_msg("L %" PRId64 " below the truth %" PRId64 ", or K %" PRId64 " below %" PRId64, x.worst_long, l,
                 x.worst_short, k);
    }
    MUST(x.pos == v->told);
    MUST(v->told == 0 || (portfolio_position(engine_portfolio(v->w.engine), 1, 1, &p) && p.qty == v->told));
    const risk_counts_t c = risk_counts(risk);
    MUST(c.accepted + c.rejected == c.received);
}

static void tell(venue_t *v, const exec_report_t *r)
{
    if (r->exec_type == EXEC_TYPE_TRADE) {
        for (uint32_t i = 0; i < v->fill_count; i++) {
            if (v->fills[i].exec_id_lo == r->exec_id_lo && !v->heard[i]) {
                v->heard[i] = true;
                v->told += r->side == SIDE_BUY ? r->last_qty : -r->last_qty;
            }
        }
    }
    MUST(world_apply_body(&v->w, MSG_EXEC_REPORT, r) == ERR_OK);
    take_outputs(v);
    judge(v);
}

static void act(venue_t *v)
{
    order_req_t q = {.side = chance(v, 50) ? SIDE_BUY : SIDE_SELL,
                     .px   = 9900 + (int64_t)pick(v, 200),
                     .qty  = 1 + (int64_t)pick(v, 30)};
    q.px          = q.side == SIDE_BUY ? 9900 + (int64_t)pick(v, 90) : 10020 + (int64_t)pick(v, 90);
    if (v->rests > 0 && chance(v, 45)) {
        const uint32_t n = 1 + (uint32_t)pick(v, v->rests);
        q.action         = chance(v, 50) ? ORDER_ACTION_REPLACE : ORDER_ACTION_CANCEL;
        q.orig_cl_ord_id = cl_ord_id_make(engine_epoch(v->w.engine), WORLD_ORIGIN, n);
        q.side           = v->rest[n].buy ? SIDE_BUY : SIDE_SELL;
    }
    if (v->w.id + 1 >= ORDERS_MAX) {
        return;
    }
    world_order(&v->w, q);
    v->rests              = (uint32_t)v->w.id; /* every request has a number; those of changes rest nowhere */
    v->rest[v->rests].buy = q.side == SIDE_BUY;
    take_outputs(v);
    judge(v);
}

static void channel_step(venue_t *v)
{
    if (v->ups > 0 && chance(v, 50)) { /* in any order, some never */
        const uint32_t    at    = (uint32_t)pick(v, v->ups);
        const order_req_t q     = v->up[at];
        bool              first = true;
        for (uint32_t i = 0; i < v->ups; i++) { /* but no change before its order */
            first &= !(q.action != ORDER_ACTION_NEW && v->up[i].action == ORDER_ACTION_NEW &&
                       v->up[i].cl_ord_id == q.orig_cl_ord_id);
        }
        if (first) {
            v->up[at] = v->up[--v->ups];
            if (q.action == ORDER_ACTION_NEW || !chance(v, 12)) {
                venue_take(v, &q);
            }
        }
    } else if (v->downs > 0) {
        const uint32_t      at    = (uint32_t)pick(v, v->downs);
        const exec_report_t r     = v->down[at];
        const bool          again = chance(v, 10);
        if (!again) {
            v->downs--;
            memmove(&v->down[at], &v->down[at + 1], (v->downs - at) * sizeof r);
        }
        tell(v, &r);
    }
}

static void timeout(venue_t *v)
{
    const uint32_t n = 1 + (uint32_t)pick(v, v->rests);
    if (order_find(engine_orders(v->w.engine), cl_ord_id_make(engine_epoch(v->w.engine), WORLD_ORIGIN, n)) !=
        ORDER_NONE) {
        exec_report_t r = world_report(&v->w, n, EXEC_TYPE_TIMEOUT);
        tell(v, &r);
    }
}

static void history(venue_t *v, const world_t *fresh, uint64_t seed)
{
    const world_t w = v->w; /* one memory for all histories */
    memset(v, 0, sizeof *v);
    v->x        = seed;
    v->w        = *fresh;
    v->w.arena  = w.arena;
    v->w.handle = w.handle;
    v->w.out    = w.out;
    v->w.engine = w.engine;
    memcpy(w.arena, fresh->arena, fresh->bytes);
    for (uint32_t i = 0; i < STEPS_OF_HISTORY; i++) {
        const uint64_t what = pick(v, 100);
        v->w.now += NS_PER_MS;
        if (what < 30) {
            act(v);
        } else if (what < 85) {
            channel_step(v);
        } else if (what < 92 && v->rests > 0) {
            venue_fill(v, 1 + pick(v, v->rests));
            judge(v);
        } else if (what < 95 && v->rests > 0) {
            timeout(v);
        } else if (what < 99) {
            world_book(&v->w, 0, 9990, 10010);
            take_outputs(v);
            judge(v);
        } else if (pick(v, 16) == 0) {
            world_t        moved;
            const uint64_t before = engine_state_hash(v->w.engine);
            world_copy(&moved, &v->w);
            world_close(&v->w);
            v->w = moved;
            MUST(engine_state_hash(v->w.engine) == before);
        }
    }
    for (uint32_t i = 0; i < v->fill_count; i++) { /* whatever was lost is told at last */
        tell(v, &v->fills[i]);
    }
    MUST(v->told == v->pos);
}

static void test_b6_exposure_is_never_below_the_truth(void **state)
{
    (void)state;
    const uint64_t seed      = seeded_seed("B6");
    const uint64_t histories = getenv("HWAL_QUICK") ? 300 : seeded_rounds(10000, 1000000);
    venue_t       *v         = malloc(sizeof *v);
    world_t        fresh;
    MUST(v != NULL);
    world_open(&fresh, 3, 1);
    world_book(&fresh, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    const lane_t lane = world_lane(&fresh, 1, LANE_OPEN, LANE_KEEP);
    assert_int_equal(world_apply_body(&fresh, MSG_LANE, &lane), ERR_OK);
    world_copy(&v->w, &fresh);
    for (uint64_t i = 0; i < histories; i++) {
        history(v, &fresh, seed * 1000003 + i);
    }
    world_close(&v->w);
    world_close(&fresh);
    free(v);
    printf("B6 %" PRIu64
           " random histories of %u steps against a hostile venue (lost, late, doubled, crossed): L, K below the "
           "truth 0 times\n",
           histories, STEPS_OF_HISTORY);
}

/* ---- R6 ----------------------------------------------------------------------------------------------------------------- */

static int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

enum { UNDER_LOAD, RECOVERING, VENUE_DOWN, R6_STATES };

/* One kill; how long the input took that set it. */
static int64_t kill_once(scope_t scope, uint32_t id, uint16_t code, int kind, uint64_t *after)
{
    world_t        w;
    const uint32_t open    = 40;
    uint32_t       cancels = 0;
    world_open(&w, 3, 1);
    world_book(&w, BOOK_FLAG_SNAPSHOT, 9990, 10010);
    for (uint32_t i = 0; i < open; i++) {
        assert_int_equal(world_order(&w, (order_req_t){.side = SIDE_BUY, .px = 9940 + i, .qty = 1}), 0);
    }
    if (kind == RECOVERING) {
        world_control(&w, CONTROL_RECOVERING, SCOPE_ACCOUNT, 1, 1);
    } else if (kind == VENUE_DOWN) {
        world_control(&w, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 0);
    }
    const int64_t t0 = clock_ns();
    world_control(&w, CONTROL_KILL, scope, id, 1);
    const int64_t took = clock_ns() - t0;
    cancels            = world_out_count(&w, MSG_ORDER_REQUEST);
    if (kind != VENUE_DOWN) {
        assert_true(cancels > 0); /* the first ones leave with the very same input */
    }
    world_control(&w, CONTROL_KILL, scope, id, 1); /* and again */
    cancels += world_out_count(&w, MSG_ORDER_REQUEST);
    for (uint32_t i = 0; i < 90; i++) { /* the load goes on, below the reject storm (279) */
        const uint16_t said = world_order(&w, (order_req_t){.side = SIDE_BUY, .px = 9900 + i % 80, .qty = 1 + i});
        *after += said == RISK_ACCEPTED;
        assert_int_equal(said, code);
        world_book(&w, 0, 9990, 10010);
        cancels += world_out_count(&w, MSG_ORDER_REQUEST);
    }
    if (kind == VENUE_DOWN) { /* nobody there to cancel it: with the link they leave */
        world_control(&w, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 1);
        cancels += world_out_count(&w, MSG_ORDER_REQUEST);
        for (uint32_t i = 0; i < 100 && cancels < open; i++) {
            world_tick(&w, 100 * NS_PER_MS);
            cancels += world_out_count(&w, MSG_ORDER_REQUEST);
        }
    }
    assert_true(cancels >= open);
    world_close(&w);
    return took;
}

static void test_r6_kills(void **state)
{
    (void)state;
    static const struct {
        scope_t  scope;
        uint32_t id;
        uint16_t code;
    } levels[]     = {{SCOPE_STRATEGY, 1, RISK_KILL_STRATEGY},     {SCOPE_ACCOUNT, 1, RISK_KILL_ACCOUNT},
                      {SCOPE_INSTRUMENT, 1, RISK_KILL_INSTRUMENT}, {SCOPE_VENUE, 1, RISK_KILL_VENUE},
                      {SCOPE_TENANT, 1, RISK_KILL_TENANT},         {SCOPE_GLOBAL, 0, RISK_KILL_GLOBAL}};
    int64_t  worst = 0;
    uint64_t after = 0, kills = 0;
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        for (int kind = 0; kind < R6_STATES; kind++) {
            const int64_t took = kill_once(levels[i].scope, levels[i].id, levels[i].code, kind, &after);
            worst              = took > worst ? took : worst;
            kills++;
        }
    }
    printf("R6 %" PRIu64
           " kills of 6 levels (under load, recovering, venue down; each twice): flag and first cancel with the same "
           "input, at most %" PRId64 " us (bars 1 ms, 10 ms); new orders after: %" PRIu64 "\n",
           kills, worst / 1000, after);
    assert_true(after == 0);
    assert_true(worst <= 10 * NS_PER_MS || getenv("HWAL_QUICK") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_b6_exposure_is_never_below_the_truth),
        cmocka_unit_test(test_r6_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
