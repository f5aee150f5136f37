/* Faults of the gate by name, each with its figure and its bar.
 *   R1  a storm of bad orders: each denied with its own code, none passes; what a check costs another strategy meanwhile;
 *       then with the reject storm's limit in force (279)
 *   R2  more orders than a window takes, at its very edges: no sub-window holds more than N, and none is refused early
 *   R3  the edges of int64 in price, quantity, position and limit: never a wrap, no wrong answer
 *   R4  limit sets with a bad value: refused as a whole, the old one in force to the byte (texts: tests/tools/test_config.c)
 *   R5  limits swapped between orders: each verdict fits the version that it names */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/risk/risk.h"
#include "core/types/ids.h"
#include "tests/lib/seeded.h"

#define QTY_MAX 1000
#define VENUE 1u
#define WINDOW 128

typedef struct desk { /* accounts 1, 2 and strategies 1, 2 of tenant 1, instrument 1 */
    void          *mem[2];
    size_t         bytes;
    order_table_t *orders;
    risk_t        *risk;
    instrument_t   ins;
    risk_md_t      md;
    now_t          now;
    uint64_t       seq;
    risk_out_t     out;
} desk_t;

static bool quick(void)
{
    return getenv("HWAL_QUICK") != NULL;
}

static void limits(desk_t *d, scope_t scope, uint32_t id1, uint32_t id2, const risk_limits_t *l)
{
    if (risk_limits_set(d->risk, scope, id1, id2, l) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
}

static void control(desk_t *d, control_kind_t kind, scope_t scope, uint32_t id, int64_t value)
{
    const control_t c = {.kind = (uint8_t)kind, .scope_type = (uint8_t)scope, .scope_id = id, .value = value};
    MUST(risk_control(d->risk, &c) == ERR_OK);
}

static void limits_wide(scope_t scope, risk_limits_t *l)
{
    risk_limits_default(scope, l);
    for (uint32_t i = 0; i < RISK_FIELD_COUNT; i++) { /* no window holds anything back, no sum is too large */
        const risk_field_t *f = risk_field(i);
        if ((f->scopes >> scope & 1) == 0) {
            continue;
        }
        if (strstr(f->name, "_w_ns") && i != RISK_FIELD_vol_w_ns) {
            ((int64_t *)l)[i] = 1;
        } else if (strcmp(f->unit, "qty") == 0 || strcmp(f->unit, "money") == 0) {
            ((int64_t *)l)[i] = INT64_MAX;
        } else if (strcmp(f->unit, "count") == 0) {
            ((int64_t *)l)[i] = WINDOW;
        }
    }
    if (scope == SCOPE_ACCOUNT) {
        l->concentration_bp = RISK_BP;
    } else if (scope == SCOPE_INSTRUMENT) {
        l->max_qty       = QTY_MAX;
        l->adv_bp        = RISK_OFF;
        l->vol_bp        = 100 * RISK_BP;
        l->max_spread_bp = 100 * RISK_BP;
    } else if (scope == SCOPE_STRATEGY) {
        l->otr_max = INT64_MAX / 2;
    }
}

static void *memory(size_t bytes)
{
    void *mem = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    MUST(bytes > 0 && mem != NULL);
    return mem;
}

static void desk_open(desk_t *d, int64_t bid, int64_t ask)
{
    risk_cfg_t        cfg;
    const order_cfg_t order = {.orders_max = 1024, .fills_max = 64, .instruments_max = 1};
    risk_limits_t     l;
    *d = (desk_t){.now = {.mono_ns = 1000 * NS_PER_S, .utc_ns = 1700000000 * NS_PER_S}};
    risk_cfg_default(&cfg);
    cfg.tenants_max      = 1;
    cfg.accounts_max     = 2;
    cfg.strategies_max   = 2;
    cfg.instruments_max  = 1;
    cfg.venues_max       = 1;
    cfg.window_max       = WINDOW;
    cfg.value_window_max = 1024;
    cfg.fills_window_max = WINDOW;
    cfg.verdicts_max     = 16;
    d->bytes             = risk_footprint(&cfg);
    d->mem[0]            = memory(order_footprint(&order));
    d->mem[1]            = memory(d->bytes);
    MUST(order_new(d->mem[0], &order) && risk_new(d->mem[1], &cfg));
    d->orders                   = order_join(d->mem[0]);
    d->risk                     = risk_join(d->mem[1]);
    const instrument_def_t def  = {.instrument_id = 1,
                                   .venue_id      = VENUE,
                                   .kind          = INSTRUMENT_LINEAR,
                                   .settle_ccy    = ccy_pack("USD"),
                                   .lot           = 1,
                                   .min_qty       = 1,
                                   .mult          = 1};
    const tick_band_t      band = {.tick = 1};
    MUST(instrument_init(&d->ins, &def, "X", &band, 1) == ERR_OK);
    for (uint32_t id = 1; id <= 2; id++) {
        const risk_account_cfg_t account = {.tenant_id = 1,
                                            .ccy       = ccy_pack("USD"),
                                            .may_trade = 1,
                                            .may_short = 1,
                                            .ord_types = 1U << ORD_TYPE_LIMIT,
                                            .venues    = 1U << VENUE};
        MUST(risk_account_open(d->risk, id, &account) == ERR_OK && risk_strategy_open(d->risk, id, 1, 1) == ERR_OK);
        limits_wide(SCOPE_ACCOUNT, &l);
        limits(d, SCOPE_ACCOUNT, id, 0, &l);
        limits_wide(SCOPE_STRATEGY, &l);
        limits(d, SCOPE_STRATEGY, id, 0, &l);
        limits_wide(SCOPE_ACCOUNT_INSTRUMENT, &l);
        limits(d, SCOPE_ACCOUNT_INSTRUMENT, id, 1, &l);
        limits_wide(SCOPE_STRATEGY_INSTRUMENT, &l);
        limits(d, SCOPE_STRATEGY_INSTRUMENT, id, 1, &l);
    }
    limits_wide(SCOPE_VENUE, &l);
    limits(d, SCOPE_VENUE, VENUE, 0, &l);
    limits_wide(SCOPE_INSTRUMENT, &l);
    limits(d, SCOPE_INSTRUMENT, 1, 0, &l);
    control(d, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 1);
    control(d, CONTROL_CLOCK, SCOPE_GLOBAL, 0, 1);
    control(d, CONTROL_VENUE_LINK, SCOPE_VENUE, VENUE, 1);
    control(d, CONTROL_SESSION, SCOPE_VENUE, VENUE, SESSION_OPEN);
    d->md = (risk_md_t){.bid_px = bid, .ask_px = ask, .has_bid = 1, .has_ask = 1, .book_mono_ns = d->now.mono_ns};
}

static void desk_close(desk_t *d)
{
    free(d->mem[0]);
    free(d->mem[1]);
}

static order_req_t order(desk_t *d, uint32_t who, side_t side, int64_t qty, int64_t px)
{
    return (order_req_t){.action          = ORDER_ACTION_NEW,
                         .cl_ord_id       = cl_ord_id_make(1, who, ++d->seq),
                         .tenant_id       = 1,
                         .account_id      = who,
                         .strategy_id     = who,
                         .instrument_id   = 1,
                         .px              = px,
                         .qty             = qty,
                         .created_mono_ns = d->now.mono_ns,
                         .side            = (uint8_t)side,
                         .ord_type        = ORD_TYPE_LIMIT,
                         .tif             = TIF_GTC};
}

static uint16_t check(desk_t *d, const order_req_t *req)
{
    const risk_in_t in = {
        .req = req, .ins = req->instrument_id == 1 ? &d->ins : NULL, .md = &d->md, .orders = d->orders, .now = d->now};
    risk_check(d->risk, &in, &d->out);
    return d->out.verdict.code;
}

/* What passed is gone again: the venue refuses it. */
static void refused(desk_t *d, const order_req_t *req)
{
    order_effect_t      effect;
    const exec_report_t report = {.exec_type     = EXEC_TYPE_REJECTED,
                                  .cl_ord_id     = req->cl_ord_id,
                                  .instrument_id = 1,
                                  .cum_qty       = -1,
                                  .leaves_qty    = -1};
    order_open(d->orders, req, d->out.px_value);
    order_apply_exec(d->orders, &report, &d->ins, &effect);
    MUST(risk_exec(d->risk, &d->ins, &effect));
}

static void later(desk_t *d, int64_t ns)
{
    d->now.mono_ns += ns;
    d->now.utc_ns += ns;
    d->md.book_mono_ns = d->now.mono_ns;
}

/* ---- R1 --------------------------------------------------------------------------------------------------------------- */

/* The n-th kind of bad order, and its code. */
static uint16_t spoil(order_req_t *q, uint64_t kind)
{
    switch (kind % 16) {
    case 0: q->action = 7; return RISK_BAD_MESSAGE;
    case 1: q->instrument_id = 2; return RISK_UNKNOWN_INSTRUMENT;
    case 2: q->account_id = 9; return RISK_UNKNOWN_ACCOUNT;
    case 3: q->side = 9; return RISK_BAD_SIDE_TYPE_OR_TIF;
    case 4: q->qty = 0; return RISK_QTY_NOT_POSITIVE;
    case 5: q->px = -1; return RISK_PRICE_NOT_POSITIVE;
    case 6: q->qty = INT64_MAX; return RISK_ARITHMETIC_OVERFLOW;
    case 7: q->cl_ord_id = cl_ord_id_make(1, 1, 0); return RISK_BAD_CLIENT_ORDER_ID;
    case 8: q->cl_ord_id = cl_ord_id_make(1, 1, 1); return RISK_DUPLICATE_CLIENT_ORDER_ID;
    case 9: q->created_mono_ns -= 2 * NS_PER_S + 1; return RISK_REQUEST_TOO_OLD;
    case 10: q->tenant_id = 2; return RISK_WRONG_TENANT;
    case 11: q->ord_type = ORD_TYPE_MARKET; return RISK_ORDER_TYPE_NOT_PERMITTED;
    case 12: q->px = 10301; return RISK_COLLAR_BUY;
    case 13: q->px = 4999; return RISK_FAR_FROM_MARKET;
    case 14: q->qty = QTY_MAX + 1; return RISK_MAX_ORDER_QTY;
    default: q->action = ORDER_ACTION_CANCEL; return RISK_UNKNOWN_ORDER;
    }
}

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* p99 of a good check of strategy 2 while strategy 1 sends `bad` bad orders between two of them. */
static int64_t good_p99(desk_t *d, uint64_t goods, uint64_t bad, int64_t *took, uint64_t *wrong, uint64_t *passed)
{
    uint64_t kind = 0;
    for (uint64_t i = 0; i < goods; i++) {
        for (uint64_t k = 0; k < bad; k++) {
            later(d, 1); /* so that no two denials lie within the window of 279, which is 1 ns here */
            order_req_t    q    = order(d, 1, SIDE_BUY, 10, 10000);
            const uint16_t due  = spoil(&q, kind++);
            const uint16_t code = check(d, &q);
            *wrong += code != due;
            *passed += code == RISK_ACCEPTED;
        }
        later(d, 1000);
        const order_req_t q  = order(d, 2, SIDE_BUY, 10, 10000 - (int64_t)(i & 63));
        const int64_t     t0 = clock_ns();
        const uint16_t    ok = check(d, &q);
        took[i]              = clock_ns() - t0;
        if (ok != RISK_ACCEPTED) {
            fail_msg("good order %" PRIu64 ": code %u", i, ok);
        }
        refused(d, &q);
    }
    qsort(took, goods, sizeof *took, by_value);
    return took[goods * 99 / 100];
}

static void test_r1_storm_of_bad_orders(void **state)
{
    (void)state;
    const uint64_t orders = quick() ? 100000 : 1000000, bad = 10, rounds = 5;
    const uint64_t goods = orders / bad / rounds;
    int64_t       *took  = malloc(goods * sizeof *took);
    int64_t        calm = INT64_MAX, storm = INT64_MAX;
    uint64_t       wrong = 0, passed = 0;
    desk_t         d;
    MUST(took != NULL);
    desk_open(&d, 9990, 10010);
    for (uint64_t i = 0; i < rounds; i++) { /* the machine is not ours alone: the best round of each */
        const int64_t without = good_p99(&d, goods, 0, took, &wrong, &passed);
        const int64_t with    = good_p99(&d, goods, bad, took, &wrong, &passed);
        calm                  = without < calm ? without : calm;
        storm                 = with < storm ? with : storm;
    }
    free(took);
    printf("R1 %" PRIu64 " bad orders of 16 kinds: %" PRIu64 " passed, %" PRIu64
           " with a wrong code; another strategy's p99 %" PRId64 " ns, without the storm %" PRId64 " (bar 1.1x)\n",
           orders, passed, wrong, storm, calm);
    assert_true(passed == 0 && wrong == 0);
    if (getenv("HWAL_SOAK") != NULL) {
        assert_true(storm * 10 <= calm * 11);
    }
    desk_close(&d);
}

/* The same storm with the limit of 279 in force: the strategy is stopped, the other one is not. */
static void test_r1_storm_stops_the_strategy(void **state)
{
    (void)state;
    desk_t        d;
    risk_limits_t l;
    risk_news_t   news;
    uint64_t      sent = 0;
    desk_open(&d, 9990, 10010);
    limits_wide(SCOPE_STRATEGY, &l);
    l.reject_n    = 100;
    l.reject_w_ns = 10 * NS_PER_S;
    limits(&d, SCOPE_STRATEGY, 1, 0, &l);
    order_req_t q;
    do {
        q = order(&d, 1, SIDE_BUY, QTY_MAX + 1, 10000);
        sent++;
        later(&d, NS_PER_MS);
    } while (check(&d, &q) == RISK_MAX_ORDER_QTY && sent < 1000);
    assert_int_equal(d.out.verdict.code, RISK_KILL_STRATEGY);
    assert_int_equal(sent, 102); /* 100 are borne, the next one is the storm, and the one after it is dead */
    assert_true(risk_news(d.risk, &news));
    assert_int_equal(news.code, RISK_REJECT_STORM);
    assert_int_equal(news.strategy_id, 1);
    q = order(&d, 1, SIDE_BUY, 1, 10000);
    assert_int_equal(check(&d, &q), RISK_KILL_STRATEGY); /* a good one too */
    q = order(&d, 2, SIDE_BUY, 1, 10000);
    assert_int_equal(check(&d, &q), RISK_ACCEPTED);
    printf("R1 reject storm: strategy stopped (279) by denial 101 of more than 100 in 10 s, the other one trades on\n");
    desk_close(&d);
}

/* ---- R2 --------------------------------------------------------------------------------------------------------------- */

/* Requests at the very edges of the window, n passed ones kept; every sub-window of the passed ones is looked at. */
static uint64_t windows_over(int64_t n, int64_t w, uint64_t requests, uint64_t *passed, uint64_t *early, uint64_t *x)
{
    desk_t        d;
    risk_limits_t l;
    uint64_t      over = 0, count = 0;
    int64_t      *times   = malloc(requests * sizeof *times);
    const int64_t steps[] = {0, 0, 1, w / (2 * n) + 1, w / n, w - 1, w, w + 1};
    MUST(times != NULL);
    desk_open(&d, 9990, 10010);
    limits_wide(SCOPE_STRATEGY, &l);
    l.rate_n    = n;
    l.rate_w_ns = w;
    limits(&d, SCOPE_STRATEGY, 1, 0, &l);
    for (uint64_t i = 0; i < requests; i++) {
        const uint64_t pick = seeded_next(x) % 16;
        int64_t        by   = pick < 8 ? steps[pick] : 0;
        if (pick >= 12 && count >= (uint64_t)n) { /* exactly when the n-th newest leaves, and one nanosecond before */
            by = times[count - (uint64_t)n] + w - (int64_t)(pick & 1) - d.now.mono_ns;
        }
        later(&d, by > 0 ? by : 0);
        const order_req_t q    = order(&d, 1, SIDE_BUY, 1, 10000 - (int64_t)(i & 255));
        uint64_t          held = 0; /* passed in (t - w, t], counted one by one */
        for (uint64_t k = count; k-- > 0 && d.now.mono_ns - times[k] < w;) {
            held++;
        }
        if (check(&d, &q) == RISK_ACCEPTED) {
            times[count++] = d.now.mono_ns;
            refused(&d, &q);
        } else {
            if (d.out.verdict.code != RISK_RATE_ORDERS) {
                fail_msg("order %" PRIu64 ": code %u", i, d.out.verdict.code);
            }
            *early += held != (uint64_t)n;
            control(&d, CONTROL_ENABLE, SCOPE_STRATEGY, 1, 0); /* 279 is another test's */
        }
    }
    for (uint64_t i = 0; i + (uint64_t)n < count; i++) { /* n + 1 passed within less than w: a window over N */
        over += times[i + (uint64_t)n] - times[i] < w;
    }
    *passed += count;
    free(times);
    desk_close(&d);
    return over;
}

static void test_r2_windows(void **state)
{
    (void)state;
    uint64_t       x        = seeded_seed("R2");
    const int64_t  ns[]     = {1, 2, 5, 64, 128};
    const uint64_t requests = quick() ? 5000 : 50000;
    uint64_t       over = 0, passed = 0, early = 0, sent = 0;
    for (size_t i = 0; i < sizeof ns / sizeof ns[0]; i++) {
        over += windows_over(ns[i], NS_PER_S, requests, &passed, &early, &x);
        over += windows_over(ns[i], 1000 * ns[i], requests, &passed, &early, &x);
        sent += 2 * requests;
    }
    printf("R2 %" PRIu64 " orders at window edges, N 1 to 128: %" PRIu64 " passed, %" PRIu64
           " sub-windows over N, %" PRIu64 " refused early\n",
           sent, passed, over, early);
    assert_true(over == 0 && early == 0 && passed > sent / 100);
}

/* ---- R3 --------------------------------------------------------------------------------------------------------------- */

__extension__ typedef __int128 wide_t;

static bool fits(wide_t v)
{
    return v >= INT64_MIN && v <= INT64_MAX;
}

static wide_t size_of(wide_t v)
{
    return v < 0 ? -v : v;
}

/* What plain arithmetic says of an order at px against a book px, px + 1 (below the largest price), by itself. */
static bool may_pass(side_t side, int64_t px, int64_t qty, int64_t pos, int64_t limit, int64_t bid, int64_t ask)
{
    const wide_t ref = ((wide_t)bid + ask + 1) / 2; /* half up */
    const wide_t l   = (wide_t)pos + (side == SIDE_BUY ? qty : 0);
    const wide_t k   = -(wide_t)pos + (side == SIDE_SELL ? qty : 0);
    const wide_t pw  = side == SIDE_SELL && ref > px ? ref : px;
    if (qty <= 0 || px <= 0 || bid <= 0 || bid >= ask || !fits(-(wide_t)pos)) {
        return false;
    }
    if (!fits(l) || !fits(k) || (qty > INT64_MAX / pw) || (side == SIDE_BUY ? l : k) > limit) {
        return false;
    }
    if (size_of(l) > INT64_MAX / ref || size_of(k) > INT64_MAX / ref) {
        return false;
    }
    const wide_t gross = size_of(l) > size_of(k) ? size_of(l) * ref : size_of(k) * ref;
    return fits(gross);
}

static void test_r3_edges(void **state)
{
    (void)state;
    static const int64_t edges[13] = {INT64_MIN,  INT64_MIN + 1, -4294967296,   -2,       -1, 0, 1, 2, 4294967295,
                                      4294967296, 3037000499,    INT64_MAX - 1, INT64_MAX};
    uint64_t             asked = 0, passed = 0, wrong = 0, other = 0;
    desk_t               d;
    desk_open(&d, 9990, 10010);
    void *fresh = memory(d.bytes);
    memcpy(fresh, d.mem[1], d.bytes);
    for (size_t at = 0; at < 13 * 13 * 13 * 13; at++) {
        const int64_t px = edges[at % 13], qty = edges[at / 13 % 13], pos = edges[at / 169 % 13],
                      limit = edges[at / 2197];
        risk_limits_t l;
        memcpy(d.mem[1], fresh, d.bytes);
        limits_wide(SCOPE_INSTRUMENT, &l);
        l.max_qty   = INT64_MAX;
        l.collar_bp = RISK_BP;
        limits(&d, SCOPE_INSTRUMENT, 1, 0, &l);
        limits_wide(SCOPE_ACCOUNT_INSTRUMENT, &l);
        l.max_long = l.max_short = limit;
        if (risk_limits_set(d.risk, SCOPE_ACCOUNT_INSTRUMENT, 1, 1, &l) != ERR_OK) {
            wrong += limit >= 0; /* refused: the old one, which is the largest, stays */
        }
        const int64_t in_force = limit < 0 ? INT64_MAX : limit;
        d.md.bid_px            = px == INT64_MAX ? px - 1 : px;
        d.md.ask_px            = d.md.bid_px + 1;
        MUST(risk_fill(d.risk, &d.ins, 1, 1, pos, 1));
        for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
            const order_req_t q    = order(&d, 1, side, qty, px);
            const uint16_t    code = check(&d, &q);
            const bool        may  = may_pass(side, px, qty, pos, in_force, d.md.bid_px, d.md.ask_px);
            asked++;
            passed += code == RISK_ACCEPTED;
            wrong += (code == RISK_ACCEPTED) != may;
            other += (qty <= 0 && code != RISK_QTY_NOT_POSITIVE) ||
                     (qty > 0 && px <= 0 && code != RISK_PRICE_NOT_POSITIVE) ||
                     (qty > 0 && px > 0 && qty > INT64_MAX / px && code != RISK_ARITHMETIC_OVERFLOW);
            if (code == RISK_ACCEPTED) {
                break; /* its exposure is reserved: the other side would meet another state */
            }
        }
    }
    printf("R3 %" PRIu64 " orders at 13^4 edges of price, quantity, position, limit: %" PRIu64 " passed, %" PRIu64
           " wrongly passed or refused, %" PRIu64 " with another code than 105, 106, 111\n",
           asked, passed, wrong, other);
    free(fresh);
    desk_close(&d);
    assert_true(wrong == 0 && other == 0 && passed > 0);
}

/* ---- R4 --------------------------------------------------------------------------------------------------------------- */

static const scope_t SCOPES[] = {SCOPE_GLOBAL,
                                 SCOPE_TENANT,
                                 SCOPE_ACCOUNT,
                                 SCOPE_STRATEGY,
                                 SCOPE_INSTRUMENT,
                                 SCOPE_VENUE,
                                 SCOPE_ACCOUNT_INSTRUMENT,
                                 SCOPE_STRATEGY_INSTRUMENT,
                                 SCOPE_TENANT_INSTRUMENT};

static bool is_pair(scope_t s)
{
    return s == SCOPE_ACCOUNT_INSTRUMENT || s == SCOPE_STRATEGY_INSTRUMENT || s == SCOPE_TENANT_INSTRUMENT;
}

static void test_r4_bad_limit_sets(void **state)
{
    (void)state;
    desk_t   d;
    uint64_t tried = 0, refused_all = 0, kept = 0;
    uint64_t x = seeded_seed("R4");
    desk_open(&d, 9990, 10010);
    for (size_t s = 0; s < sizeof SCOPES / sizeof SCOPES[0]; s++) {
        for (uint32_t field = 0; field < RISK_FIELD_COUNT; field++) {
            const risk_field_t *f     = risk_field(field);
            const bool          has   = f->scopes >> SCOPES[s] & 1;
            const int64_t       bad[] = {INT64_MIN, f->min - 1, -1, f->max == INT64_MAX ? -2 : f->max + 1};
            for (size_t i = 0; i < 4; i++) {
                const uint32_t id1 = SCOPES[s] == SCOPE_GLOBAL ? 0 : 1, id2 = is_pair(SCOPES[s]) ? 1 : 0;
                risk_limits_t  l;
                limits_wide(SCOPES[s], &l);
                ((int64_t *)&l)[field] = has ? bad[i] : 1; /* one that the scope does not have must be 0 */
                const uint64_t before  = risk_hash(0, d.risk);
                tried++;
                refused_all += risk_limits_set(d.risk, SCOPES[s], id1, id2, &l) != ERR_OK;
                kept += risk_hash(0, d.risk) == before;
                /* the same as one of six fields of a change at run time: none of the six may take effect */
                risk_limit_value_t change[6];
                for (int k = 0; k < 6; k++) {
                    change[k] = (risk_limit_value_t){SCOPE_ACCOUNT, 1, 0, RISK_FIELD_max_value, 1000 + k};
                }
                const bool same = SCOPES[s] == SCOPE_ACCOUNT && field == RISK_FIELD_max_value; /* the last one counts */
                change[same ? 5 : seeded_next(&x) % 6] =
                    (risk_limit_value_t){SCOPES[s], id1, id2, field, has ? bad[i] : 1};
                tried++;
                refused_all += risk_limits_change(d.risk, change, 6) != ERR_OK;
                kept += risk_hash(0, d.risk) == before;
            }
        }
    }
    const risk_limit_value_t odd[] = {{SCOPE_ACCOUNT, 3, 0, RISK_FIELD_max_value, 1},
                                      {SCOPE_ACCOUNT, 0, 0, RISK_FIELD_max_value, 1},
                                      {SCOPE_NONE, 1, 0, RISK_FIELD_max_value, 1},
                                      {SCOPE_COUNT, 1, 0, RISK_FIELD_max_value, 1},
                                      {SCOPE_ACCOUNT_VENUE, 1, 1, RISK_FIELD_max_value, 1},
                                      {SCOPE_ACCOUNT, 1, 0, RISK_FIELD_COUNT, 1},
                                      {SCOPE_ACCOUNT, 1, 0, UINT32_MAX, 1}};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        const uint64_t before = risk_hash(0, d.risk);
        tried++;
        refused_all += risk_limits_change(d.risk, &odd[i], 1) != ERR_OK;
        kept += risk_hash(0, d.risk) == before;
    }
    printf("R4 %" PRIu64 " limit sets and changes with a bad value, scope, id or field: %" PRIu64
           " refused as a whole, %" PRIu64 " left the old set to the byte\n",
           tried, refused_all, kept);
    desk_close(&d);
    assert_true(refused_all == tried && kept == tried);
}

/* ---- R5 --------------------------------------------------------------------------------------------------------------- */

static void test_r5_swapped_limits(void **state)
{
    (void)state;
    const uint64_t swaps = 10000;
    uint64_t       mixed = 0, verdicts = 0;
    uint64_t       x    = seeded_seed("R5");
    int64_t        last = 0; /* value in force, less 100: says which version it is */
    desk_t         d;
    desk_open(&d, 9990, 10010);
    for (uint64_t i = 0; i < swaps; i++) {
        const int64_t            v = 100 + (last + 1 + (int64_t)(seeded_next(&x) % 898)) % 900; /* not the last one */
        const risk_limit_value_t change[] = {{SCOPE_INSTRUMENT, 1, 0, RISK_FIELD_max_qty, v},
                                             {SCOPE_ACCOUNT_INSTRUMENT, 1, 1, RISK_FIELD_max_long, v},
                                             {SCOPE_ACCOUNT, 1, 0, RISK_FIELD_max_value, v * 10000},
                                             {SCOPE_STRATEGY_INSTRUMENT, 1, 1, RISK_FIELD_max_short, v}};
        const uint32_t           version  = risk_limit_version(d.risk);
        MUST(risk_limits_change(d.risk, change, 4) == ERR_OK && risk_limit_version(d.risk) == version + 1);
        last = v - 100;
        for (int k = 0; k < 4; k++) {
            later(&d, 1000);
            const bool        value = k & 1; /* by quantity, by value */
            const order_req_t q = order(&d, 1, k & 2 ? SIDE_BUY : SIDE_SELL, value ? v : v + 1, value ? 10005 : 9995);
            const uint16_t    code = check(&d, &q);
            const verdict_t  *said = &d.out.verdict;
            verdicts++;
            mixed += said->limit_version != version + 1 ||
                     code != (value ? RISK_MAX_ORDER_VALUE : RISK_MAX_ORDER_QTY) ||
                     said->limit != (value ? v * 10000 : v);
        }
    }
    printf("R5 %" PRIu64 " changes of four fields between %" PRIu64 " checks: %" PRIu64
           " verdicts that fit no version\n",
           swaps, verdicts, mixed);
    desk_close(&d);
    assert_int_equal(mixed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r1_storm_of_bad_orders),
        cmocka_unit_test(test_r1_storm_stops_the_strategy),
        cmocka_unit_test(test_r2_windows),
        cmocka_unit_test(test_r3_edges),
        cmocka_unit_test(test_r4_bad_limit_sets),
        cmocka_unit_test(test_r5_swapped_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
