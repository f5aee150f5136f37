/* An engine of 10,000 instruments and 100 accounts: nothing of it is looked at that has nothing to do, and what has is found
 * to the nanosecond and in the order of ids.
 *
 *   1. symbols: each is found, none that is not there; equal ones of two venues are two
 *   2. ages: every book turns STALE with the first TICK at which it is older than stale_ns, and with no earlier one,
 *      whatever was updated in between, with TICKs far and near; against a walk over all of them. More than 512 at a
 *      time take the inputs that follow, and one that is updated meanwhile stays LIVE
 *   3. a broken book is asked about each second, and no more when it is whole
 *   4. loss: an account whose limit is reached is killed 60 s later by TICKs alone, whichever its number
 *   5. positions: what the venue names and what it does not name are both compared, at the last id as well
 *   6. marks: mark_next visits each set bit once */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/engine/engine_private.h"

#define INSTRUMENTS 10000u
#define ACCOUNTS 100u
#define STALE_NS (3 * NS_PER_S)

typedef struct large {
    void        *arena, *handle;
    engine_t    *e;
    engine_out_t out;
    now_t        now;
    uint64_t     rpt_seq[INSTRUMENTS + 1];
    uint64_t     requests[ACCOUNTS + 1]; /* newest question for positions */
    uint64_t     random;
} large_t;

static uint64_t random_next(large_t *l)
{
    uint64_t z = l->random += 0x9e3779b97f4a7c15u;
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static err_t in(large_t *l, msg_type_t type, const void *body)
{
    const out_rec_t *rec;
    const err_t      err = engine_apply(l->e, l->now, &(msg_t){.type = type, .body = body}, &l->out);
    for (uint32_t pos = 0; (rec = engine_out_next(&l->out, &pos));) {
        if (rec->type == MSG_MASS_STATUS_REQUEST) {
            const mass_status_req_t *ask = (const void *)(rec + 1);
            l->requests[ask->account_id] = ask->request_id;
        }
    }
    return err;
}

static uint32_t outputs(const large_t *l, msg_type_t type, uint32_t *ids, uint32_t max)
{
    const out_rec_t *rec;
    uint32_t         n = 0;
    for (uint32_t pos = 0; (rec = engine_out_next(&l->out, &pos));) {
        if (rec->type == type) {
            const void *body = rec + 1;
            assert_true(n < max);
            ids[n++] = type == MSG_ALARM              ? ((const alarm_t *)body)->instrument_id
                       : type == MSG_SNAPSHOT_REQUEST ? ((const snapshot_req_t *)body)->instrument_id
                                                      : 0;
        }
    }
    return n;
}

static void tick(large_t *l, int64_t after_ns)
{
    l->now.mono_ns += after_ns;
    l->now.utc_ns += after_ns;
    assert_int_equal(in(l, MSG_TICK, &(tick_t){.mono_ns = l->now.mono_ns, .utc_ns = l->now.utc_ns}), ERR_OK);
}

static void book(large_t *l, uint32_t id, int64_t recv_utc_ns, int64_t bid)
{
    const level_t       levels[] = {{bid, 100}, {bid + 1, 100}};
    const book_update_t upd      = {.instrument_id = id,
                                    .flags         = BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST,
                                    .rpt_seq       = ++l->rpt_seq[id],
                                    .venue_seq     = l->rpt_seq[id],
                                    .ts_recv_ns    = recv_utc_ns,
                                    .bid_count     = 1,
                                    .ask_count     = 1};
    assert_int_equal(engine_apply(l->e, l->now,
                                  &(msg_t){.type = MSG_BOOK_UPDATE, .body = &upd, .tail = levels, .tail_count = 2},
                                  &l->out),
                     ERR_OK);
}

static err_t define(large_t *l, uint16_t venue, const char *symbol)
{
    const instrument_def_t def  = {.venue_id   = venue,
                                   .kind       = INSTRUMENT_LINEAR,
                                   .px_exp     = 0,
                                   .qty_exp    = 0,
                                   .money_exp  = 2,
                                   .mult       = 1,
                                   .lot        = 1,
                                   .min_qty    = 1,
                                   .settle_ccy = ccy_pack("USD")};
    const tick_band_t      band = {.tick = 1};
    return engine_apply(
        l->e, l->now,
        &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def, .tail = &band, .tail_count = 1, .text = symbol}, &l->out);
}

static const char *symbol_of(uint32_t id)
{
    static char text[16];
    snprintf(text, sizeof text, "S%u", (id + 1) / 2); /* each at both venues */
    return text;
}

static int large_open(void **state)
{
    large_t     *l   = calloc(1, sizeof *l);
    engine_cfg_t cfg = {.epoch           = 1,
                        .tenant_id       = 1,
                        .instruments_max = INSTRUMENTS,
                        .accounts_max    = ACCOUNTS,
                        .orders_max      = 1024,
                        .fills_max       = 1024,
                        .stale_ns        = STALE_NS,
                        .book            = {.window_ticks = 64, .far_slots = 64}};
    risk_cfg_default(&cfg.risk);
    const size_t bytes = engine_footprint(&cfg);
    assert_true(bytes > 0);
    l->arena  = aligned_alloc(engine_align(), (bytes + engine_align() - 1) / engine_align() * engine_align());
    l->handle = malloc(engine_handle_size());
    l->out    = (engine_out_t){.buf = malloc(ENGINE_OUT_MAX), .cap = ENGINE_OUT_MAX};
    l->now    = (now_t){.mono_ns = NS_PER_S, .utc_ns = NS_PER_DAY};
    assert_non_null(engine_new(l->arena, &cfg));
    l->e = engine_join(l->handle, l->arena);
    assert_non_null(l->e);
    const char *seed = getenv("HWAL_SEED");
    l->random        = seed ? strtoull(seed, NULL, 0) : 1;
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        assert_int_equal(define(l, (uint16_t)(2 - id % 2), symbol_of(id)), ERR_OK);
    }
    *state = l;
    return 0;
}

static int large_close(void **state)
{
    large_t *l = *state;
    free(l->arena);
    free(l->handle);
    free(l->out.buf);
    free(l);
    return 0;
}

/* ---- 1 --------------------------------------------------------------------------------------------------------------- */
static void test_scale_symbols(void **state)
{
    large_t *l = *state;
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        assert_int_equal(engine_instrument_find(l->e, (uint16_t)(2 - id % 2), symbol_of(id)), id);
    }
    assert_int_equal(engine_instrument_find(l->e, 3, "S1"), 0);
    assert_int_equal(engine_instrument_find(l->e, 1, "S5001"), 0);
    assert_int_equal(engine_instrument_find(l->e, 1, "S"), 0);
    assert_int_equal(define(l, 1, "S1"), ERR_OK); /* the same again */
    assert_int_equal(define(l, 1, "one more"), ERR_LIMIT);
}

/* ---- 2 --------------------------------------------------------------------------------------------------------------- */
static void test_scale_ages(void **state)
{
    large_t        *l      = *state;
    const int64_t   gaps[] = {1, 7 * NS_PER_MS, 100 * NS_PER_MS, 100 * NS_PER_MS, NS_PER_S, STALE_NS, 40 * NS_PER_S};
    static int64_t  updated[INSTRUMENTS + 1];
    static bool     live[INSTRUMENTS + 1];
    static uint32_t told[INSTRUMENTS + 1], want[INSTRUMENTS + 1];
    const int       rounds = getenv("HWAL_QUICK") ? 120 : 600;
    uint64_t        turned = 0;
    for (int round = 0; round < rounds; round++) {
        const uint32_t hot =
            random_next(l) % 8 == 0 ? INSTRUMENTS : 40; /* now and then any of them, mostly the same few */
        for (int n = 0; n < 200; n++) {
            const uint32_t id = (uint32_t)(random_next(l) % hot) + 1;
            const int64_t  waited =
                random_next(l) % 4 ? 0 : (int64_t)(random_next(l) % (uint64_t)(STALE_NS + NS_PER_S)); /* a backlog */
            l->now.mono_ns += (int64_t)(random_next(l) % 1000);
            l->now.utc_ns = NS_PER_DAY + l->now.mono_ns;
            book(l, id, l->now.utc_ns - waited, 1000 + (int64_t)(random_next(l) % 8));
            updated[id] = l->now.mono_ns - waited;
            live[id]    = true;
        }
        int64_t gap = gaps[random_next(l) % (sizeof gaps / sizeof gaps[0])];
        if (random_next(l) % 2) { /* exactly at the age of one of them, or a nanosecond after */
            const uint32_t id = (uint32_t)(random_next(l) % 40) + 1;
            const int64_t  to = updated[id] + STALE_NS + (int64_t)(random_next(l) % 2);
            gap               = live[id] && to > l->now.mono_ns ? to - l->now.mono_ns : gap;
        }
        tick(l, gap);
        uint32_t wanted = 0;
        for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
            if (live[id] && l->now.mono_ns - updated[id] > STALE_NS) {
                want[wanted++] = id;
                live[id]       = false;
            }
        }
        uint32_t n = outputs(l, MSG_ALARM, told, INSTRUMENTS);
        while (l->e->s->due_left) {
            tick(l, 0);
            n += outputs(l, MSG_ALARM, told + n, INSTRUMENTS);
        }
        for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
            assert_int_equal(live[id], view_health(engine_market(l->e, id)) == FEED_LIVE);
        }
        assert_int_equal(n, wanted);
        assert_memory_equal(told, want, wanted * sizeof *want);
        turned += wanted;
    }
    printf("%d rounds, %llu books turned stale\n", rounds, (unsigned long long)turned);
    assert_true(turned > 1000);
}

static void test_scale_ages_in_portions(void **state)
{
    large_t        *l = *state;
    static uint32_t ids[INSTRUMENTS + 1];
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        book(l, id, l->now.utc_ns, 1000);
    }
    tick(l, STALE_NS + 1);
    assert_int_equal(outputs(l, MSG_ALARM, ids, INSTRUMENTS), DUE_MAX);
    book(l, 7777, l->now.utc_ns, 1001); /* in time; and the next portion goes with it */
    assert_int_equal(outputs(l, MSG_ALARM, ids, INSTRUMENTS), DUE_MAX);
    for (uint32_t next = 2 * DUE_MAX + 1; next <= INSTRUMENTS;) {
        tick(l, 0);
        const uint32_t n = outputs(l, MSG_ALARM, ids, INSTRUMENTS);
        assert_in_range(n, 1, 2 * DUE_MAX);
        for (uint32_t i = 0; i < n; i++) {
            next += next == 7777;
            assert_int_equal(ids[i], next++);
        }
    }
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        assert_int_equal(view_health(engine_market(l->e, id)), id == 7777 ? FEED_LIVE : FEED_STALE);
    }
}

/* ---- 3 --------------------------------------------------------------------------------------------------------------- */
static void test_scale_asks(void **state)
{
    large_t        *l = *state;
    static uint32_t ids[INSTRUMENTS + 1];
    tick(l, NS_PER_S - 1);
    assert_int_equal(outputs(l, MSG_SNAPSHOT_REQUEST, ids, INSTRUMENTS), 0); /* a second for the first snapshots */
    tick(l, 1);
    uint32_t asked = 0;
    while (asked < INSTRUMENTS) { /* in portions, ids rising */
        const uint32_t n = outputs(l, MSG_SNAPSHOT_REQUEST, ids, INSTRUMENTS);
        assert_in_range(n, 1, ENGINE_QUERIES_MAX);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(ids[i], ++asked);
        }
        tick(l, 0);
    }
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        if (id != 9999 && id != 3) {
            book(l, id, l->now.utc_ns, 1000);
        }
    }
    tick(l, NS_PER_S - 1);
    assert_int_equal(outputs(l, MSG_SNAPSHOT_REQUEST, ids, INSTRUMENTS), 0);
    for (int again = 0; again < 3; again++) {
        tick(l, again ? NS_PER_S : 1);
        assert_int_equal(outputs(l, MSG_SNAPSHOT_REQUEST, ids, INSTRUMENTS), 2);
        assert_int_equal(ids[0], 3);
        assert_int_equal(ids[1], 9999);
    }
    const feed_state_t broken = {.instrument_id = 5000, .health = FEED_BROKEN, .reason = FEED_REASON_LOST};
    assert_int_equal(in(l, MSG_FEED_STATE, &broken), ERR_OK);
    assert_int_equal(outputs(l, MSG_SNAPSHOT_REQUEST, ids, INSTRUMENTS),
                     1); /* at once: the last question was long ago */
    assert_int_equal(ids[0], 5000);
    book(l, 5000, l->now.utc_ns, 1000);
    book(l, 3, l->now.utc_ns, 1000);
    tick(l, NS_PER_S);
    while (outputs(l, MSG_SNAPSHOT_REQUEST, ids, INSTRUMENTS) == 0 && l->e->s->due_left) {
        tick(l, 0); /* thousands of books turned stale before it */
    }
    assert_int_equal(outputs(l, MSG_SNAPSHOT_REQUEST, ids, INSTRUMENTS), 1);
    assert_int_equal(ids[0], 9999);
}

/* ---- 4, 5 -------------------------------------------------------------------------------------------------------------- */
static void accounts_open(large_t *l)
{
    for (uint32_t id = 1; id <= ACCOUNTS; id++) {
        const account_def_t def = {
            .account_id = id, .tenant_id = 1, .ccy = ccy_pack("USD"), .initial = 100000, .money_exp = 2};
        limit_set_t   set = {.scope_type = SCOPE_ACCOUNT, .scope_id = id};
        risk_limits_t limits;
        assert_int_equal(in(l, MSG_ACCOUNT_DEF, &def), ERR_OK);
        risk_limits_default(SCOPE_ACCOUNT, &limits);
        limits.max_day_loss      = 1000;
        limits.max_realised_loss = limits.max_drawdown = INT64_C(1) << 40;
        memcpy(&set.max_qty, &limits, RISK_SETUP_FIELDS * sizeof(int64_t));
        assert_int_equal(in(l, MSG_LIMIT_SET, &set), ERR_OK);
    }
}

/* A fill of nobody's order: booked all the same. */
static void fill(large_t *l, uint32_t account, uint32_t instrument, side_t side, int64_t qty, int64_t px)
{
    static uint64_t exec_id;
    exec_id++;
    const exec_report_t report = {.cl_ord_id     = cl_ord_id_make(1, 200, exec_id),
                                  .account_id    = account,
                                  .instrument_id = instrument,
                                  .side          = (uint8_t)side,
                                  .exec_type     = EXEC_TYPE_TRADE,
                                  .ord_status    = ORD_STATUS_FILLED,
                                  .exec_id_lo    = exec_id,
                                  .last_qty      = qty,
                                  .last_px       = px,
                                  .cum_qty       = qty,
                                  .ts_event_ns   = l->now.utc_ns};
    assert_int_equal(in(l, MSG_EXEC_REPORT, &report), ERR_OK);
}

static void test_scale_loss_by_time(void **state)
{
    large_t             *l         = *state;
    const uint32_t       victims[] = {1, 64, 65, 100};
    risk_account_state_t risk;
    accounts_open(l);
    for (size_t i = 0; i < 4; i++) { /* long 10 at 1000: 10.00 lost when the price falls by 1 */
        book(l, 7 + (uint32_t)i, l->now.utc_ns, 1000);
        fill(l, victims[i], 7 + (uint32_t)i, SIDE_BUY, 10, 1000);
        book(l, 7 + (uint32_t)i, l->now.utc_ns, 999); /* 10.00 lost of 10.00 that may be: stop */
        assert_true(risk_account_state(engine_risk(l->e), victims[i], &risk) && risk.latched == RISK_DAY_LOSS);
        assert_false(risk.killed);
    }
    fill(l, 65, 8, SIDE_SELL, 1, 999); /* and a little more is lost, which kills after 60 s of the stop */
    fill(l, 100, 8, SIDE_SELL, 1, 999);
    for (int n = 0; n < 590; n++) {
        tick(l, 100 * NS_PER_MS);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_true(risk_account_state(engine_risk(l->e), victims[i], &risk) && !risk.killed);
    }
    tick(l, NS_PER_S); /* 60 s after the stop */
    for (size_t i = 0; i < 4; i++) {
        assert_true(risk_account_state(engine_risk(l->e), victims[i], &risk));
        assert_int_equal(risk.killed, victims[i] == 65 || victims[i] == 100);
    }
}

static void end(large_t *l, uint32_t account, uint32_t named, int64_t qty)
{
    mass_status_t status = {.kind          = MASS_STATUS_POSITION,
                            .request_id    = l->requests[account],
                            .account_id    = account,
                            .venue_id      = 1,
                            .instrument_id = named,
                            .qty           = qty};
    if (named) {
        assert_int_equal(in(l, MSG_MASS_STATUS, &status), ERR_OK);
    }
    status.kind          = MASS_STATUS_END;
    status.instrument_id = 0;
    assert_int_equal(in(l, MSG_MASS_STATUS, &status), ERR_OK);
}

static void test_scale_positions(void **state)
{
    large_t             *l = *state;
    uint32_t             ids[8];
    risk_account_state_t risk;
    accounts_open(l);
    fill(l, 100, 9999, SIDE_BUY, 5, 1000);
    assert_int_equal(
        in(l, MSG_CONTROL, &(control_t){.kind = CONTROL_UNRECONCILED, .scope_type = SCOPE_ACCOUNT, .scope_id = 100}),
        ERR_OK);
    assert_int_equal(in(l, MSG_CONTROL,
                        &(control_t){.kind = CONTROL_VENUE_LINK, .scope_type = SCOPE_VENUE, .scope_id = 1, .value = 1}),
                     ERR_OK);
    while (l->requests[ACCOUNTS] == 0) { /* in portions */
        tick(l, 0);
    }
    end(l, 1, 0, 0); /* ours flat, theirs not named */
    assert_int_equal(outputs(l, MSG_ALARM, ids, 8), 0);
    end(l, 2, 9999, 3); /* ours flat, theirs 3 of the last instrument of venue 1 */
    assert_int_equal(outputs(l, MSG_ALARM, ids, 8), 1);
    assert_int_equal(ids[0], 9999);
    end(l, 100, 0, 0); /* ours 5, not named: flat there */
    assert_int_equal(outputs(l, MSG_ALARM, ids, 8), 1);
    assert_int_equal(ids[0], 9999);
    assert_true(risk_account_state(engine_risk(l->e), 100, &risk) && risk.unreconciled);
    const uint64_t asked = l->requests[ACCOUNTS];
    tick(l, 60 * NS_PER_S - 1);
    assert_int_equal(l->requests[ACCOUNTS], asked); /* not a nanosecond early */
    tick(l, 1);
    while (l->requests[ACCOUNTS] == asked) {
        tick(l, 0);
    }
    end(l, 100, 9999, 5);
    assert_int_equal(outputs(l, MSG_ALARM, ids, 8), 0);
    assert_true(risk_account_state(engine_risk(l->e), 100, &risk) && !risk.unreconciled);
}

/* ---- 6 --------------------------------------------------------------------------------------------------------------- */
static void test_scale_marks(void **state)
{
    large_t *l = *state;
    for (int round = 0; round < 200; round++) {
        uint64_t       marks[5]  = {0};
        bool           want[320] = {0};
        const uint32_t end_at    = (uint32_t)(random_next(l) % 320) + 1;
        for (uint32_t n = (uint32_t)(random_next(l) % 40); n > 0; n--) {
            const uint32_t at = (uint32_t)(random_next(l) % 320);
            mark_set(marks, at);
            want[at] = true;
        }
        uint32_t at = mark_next(marks, 0, end_at);
        for (uint32_t i = 0; i < end_at; i++) {
            if (want[i]) {
                assert_int_equal(at, i);
                at = mark_next(marks, i + 1, end_at);
            }
        }
        assert_int_equal(at, end_at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_scale_symbols, large_open, large_close),
        cmocka_unit_test_setup_teardown(test_scale_ages, large_open, large_close),
        cmocka_unit_test_setup_teardown(test_scale_ages_in_portions, large_open, large_close),
        cmocka_unit_test_setup_teardown(test_scale_asks, large_open, large_close),
        cmocka_unit_test_setup_teardown(test_scale_loss_by_time, large_open, large_close),
        cmocka_unit_test_setup_teardown(test_scale_positions, large_open, large_close),
        cmocka_unit_test_setup_teardown(test_scale_marks, large_open, large_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
