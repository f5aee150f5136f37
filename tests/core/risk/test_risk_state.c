/* State that the gate reads and others feed: volatility, executions and denials of strategies, budgets, currencies,
 * margin needs, buckets, kills of pairs, holders; each against what is counted from scratch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/risk/risk_private.h"
#include "core/types/ids.h"
#include "tests/lib/glue.h"
#include "tests/lib/seeded.h"

#define AT(ns) ((now_t){.mono_ns = (ns), .utc_ns = (ns)})
#define S(s) ((int64_t)(s)*NS_PER_S)

enum { ACCOUNTS = 2, FOREIGN = 3, STRATEGIES = 2, INSTRUMENTS = 3, MUCH = 1000000 };

static void limits_to(glue_t *g, scope_t scope, uint32_t id1, uint32_t id2, const risk_limits_t *l)
{
    assert_int_equal(risk_limits_set(g->risk, scope, id1, id2, l), ERR_OK);
}

static void open_gate(glue_t *g)
{
    risk_cfg_t    cfg;
    risk_limits_t l;
    risk_cfg_default(&cfg);
    cfg.fills_window_max = 16;
    cfg.fx_max           = 3;
    glue_open(g, cfg, 64, 64);
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        const instrument_def_t def = glue_def(id);
        glue_instrument(g, &def, 1);
        risk_limits_default(SCOPE_INSTRUMENT, &l);
        l.max_qty = l.max_value = MUCH;
        limits_to(g, SCOPE_INSTRUMENT, id, 0, &l);
    }
    for (uint32_t id = 1; id <= STRATEGIES; id++) {
        risk_limits_default(SCOPE_STRATEGY, &l);
        l.rep_n    = 3;
        l.reject_n = 3;
        limits_to(g, SCOPE_STRATEGY, id, 0, &l);
        assert_int_equal(risk_strategy_open(g->risk, id, 1, 1), ERR_OK);
    }
    for (uint32_t id = 1; id <= ACCOUNTS; id++) {
        glue_account(g, id);
    }
}

static order_effect_t fill_of(uint32_t account, uint32_t strategy, uint32_t instrument, int64_t qty, int64_t px)
{
    return (order_effect_t){.row           = ORDER_NONE,
                            .account_id    = account,
                            .strategy_id   = strategy,
                            .instrument_id = instrument,
                            .status_after  = ORD_STATUS_NEW,
                            .booked        = 1,
                            .qty           = qty,
                            .px            = px};
}

static void book_at(glue_t *g, uint32_t id, int64_t px, int64_t mono_ns)
{
    const risk_md_t md = {.bid_px = px - 1, .ask_px = px + 1, .book_mono_ns = mono_ns, .has_bid = 1, .has_ask = 1};
    risk_mark(g->risk, &g->ins[id], &md, AT(mono_ns));
}

/* ---- volatility (185) -------------------------------------------------------------------------------------------- */

static bool paused(const glue_t *g, int64_t mono_ns)
{
    return mono_ns < risk_instrument(g->risk, 1)->pause_until_ns;
}

static void test_vol_bounds(void **state)
{
    (void)state;
    static const struct {
        int64_t px;
        bool    pause;
    } cases[] = {{10500, false}, {10501, true}, {9500, false}, {9499, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glue_t      g;
        risk_news_t news;
        open_gate(&g);
        book_at(&g, 1, 10000, S(100));
        book_at(&g, 1, cases[i].px, S(162));
        assert_int_equal(paused(&g, S(162)), cases[i].pause);
        assert_int_equal(risk_news(g.risk, &news), cases[i].pause);
        if (cases[i].pause) {
            assert_int_equal(news.code, RISK_VOLATILITY_PAUSE);
            assert_int_equal(news.instrument_id, 1);
            assert_int_equal(news.observed, cases[i].px);
            assert_int_equal(news.limit, cases[i].px > 10000 ? 10500 : 9500);
            assert_true(paused(&g, S(192) - 1));
            assert_false(paused(&g, S(192)));
            book_at(&g, 1, cases[i].px, S(170)); /* one pause at a time */
            assert_false(paused(&g, S(192)));
            assert_false(risk_news(g.risk, &news));
        }
        glue_close(&g);
    }
}

static void test_vol_young(void **state)
{
    (void)state;
    glue_t g;
    open_gate(&g);
    book_at(&g, 1, 10000, S(10)); /* within the first window of time itself */
    book_at(&g, 1, 20000, S(65));
    assert_false(paused(&g, S(65)));
    book_at(&g, 1, 10000, S(100)); /* no reference is a window old */
    assert_false(paused(&g, S(100)));
    book_at(&g, 1, 10000, S(1000)); /* one that stood for long is still the one of then */
    book_at(&g, 1, 10000, S(5000));
    book_at(&g, 1, 10501, S(5001));
    assert_true(paused(&g, S(5001)));
    risk_limits_t l = risk_instrument(g.risk, 1)->limits;
    l.vol_w_ns      = S(10);
    limits_to(&g, SCOPE_INSTRUMENT, 1, 0, &l); /* another window begins anew */
    book_at(&g, 1, 20000, S(5040));
    book_at(&g, 1, 10000, S(5041));
    assert_false(paused(&g, S(5041)));
    glue_close(&g);
}

/* Against all references ever: the one in force at the end of the newest slice that ended by t - w. */
static void test_vol_random(void **state)
{
    (void)state;
    enum { KEPT = 4096 };
    static int64_t when[KEPT], px[KEPT];
    uint64_t       rng    = seeded_seed("volatility");
    const uint64_t rounds = seeded_rounds(40, 4000);
    for (uint64_t round = 0; round < rounds; round++) {
        glue_t      g;
        risk_news_t news;
        int64_t     t = S(61), pause = 0;
        open_gate(&g);
        risk_limits_t l = risk_instrument(g.risk, 1)->limits;
        l.vol_w_ns      = 64 + (int64_t)(seeded_next(&rng) % 5000);
        l.vol_pause_ns  = (int64_t)(seeded_next(&rng) % 500);
        limits_to(&g, SCOPE_INSTRUMENT, 1, 0, &l);
        const int64_t width = (l.vol_w_ns + RISK_VOL_SLICES - 1) / RISK_VOL_SLICES;
        int64_t       last  = 10000;
        for (int n = 0; n < KEPT; n++) {
            t += (int64_t)(seeded_next(&rng) % (uint64_t)(seeded_next(&rng) % 50 ? 2 * width : 3 * l.vol_w_ns));
            last += (int64_t)(seeded_next(&rng) % 201) - 100;
            last    = max_i64(last, 5000);
            when[n] = t;
            px[n]   = last;
            book_at(&g, 1, last, t);
            const int64_t end  = (t - l.vol_w_ns) / width * width; /* the newest end of a slice by t - w */
            int           then = n;
            while (then >= 0 && when[then] >= end) {
                then--;
            }
            const int64_t move = then < 0 ? 0 : last > px[then] ? last - px[then] : px[then] - last;
            if (then >= 0 && t >= pause && move * BP > l.vol_bp * px[then]) {
                pause = t + l.vol_pause_ns;
                assert_true(risk_news(g.risk, &news));
            }
            assert_false(risk_news(g.risk, &news));
            assert_int_equal(risk_instrument(g.risk, 1)->pause_until_ns, pause);
        }
        glue_close(&g);
    }
}

/* ---- executions and denials -------------------------------------------------------------------------------------- */

static uint32_t killed(const glue_t *g, uint32_t strategy)
{
    return risk_strategy(g->risk, strategy)->killed;
}

static void traded(glue_t *g, uint32_t strategy, uint32_t instrument, int64_t qty, int64_t mono_ns)
{
    const order_effect_t fill = fill_of(1, strategy, instrument, qty, 100);
    risk_traded(g->risk, &fill, AT(mono_ns));
}

static void test_repeats(void **state)
{
    (void)state;
    glue_t      g;
    risk_news_t news;
    open_gate(&g);
    for (int i = 0; i < 3; i++) {
        traded(&g, 1, 1, 5, S(1));
        traded(&g, 1, 1, -5, S(1)); /* the other side, another instrument, another strategy count for themselves */
        traded(&g, 1, 2, 5, S(1));
        traded(&g, 2, 1, 5, S(1));
    }
    assert_int_equal(killed(&g, 1), 0);
    traded(&g, 1, 1, 5, S(61)); /* 60 s later the three have left */
    assert_int_equal(killed(&g, 1), 0);
    traded(&g, 2, 1, 5, S(61) - 1); /* and here they have not */
    assert_int_equal(killed(&g, 2), KILLED_AUTO);
    assert_true(risk_news(g.risk, &news));
    assert_int_equal(news.code, RISK_REPEATED_EXECUTION);
    assert_int_equal(news.strategy_id, 2);
    assert_int_equal(news.instrument_id, 1);
    assert_int_equal(news.observed, 4);
    assert_int_equal(news.limit, 3);
    traded(&g, 2, 1, 5, S(61)); /* it counts no more, and is told once */
    assert_false(risk_news(g.risk, &news));
    /* KILL 0 does not lift it, ENABLE does, and counts anew */
    glue_control(&g, CONTROL_KILL, SCOPE_STRATEGY, 2, 1);
    assert_int_equal(killed(&g, 2), KILLED_AUTO | KILLED_NAMED);
    glue_control(&g, CONTROL_KILL, SCOPE_STRATEGY, 2, 0);
    assert_int_equal(killed(&g, 2), KILLED_AUTO);
    glue_control(&g, CONTROL_ENABLE, SCOPE_STRATEGY, 2, 1);
    assert_int_equal(killed(&g, 2), 0);
    for (int i = 0; i < 3; i++) {
        traded(&g, 2, 1, 5, S(61));
    }
    assert_int_equal(killed(&g, 2), 0);
    traded(&g, 2, 1, 5, S(61));
    assert_int_equal(killed(&g, 2), KILLED_AUTO);
    traded(&g, 0, 1, 5, S(61)); /* of no strategy */
    traded(&g, 65535, 1, 5, S(61));
    glue_close(&g);
}

static void test_repeats_ring(void **state)
{
    (void)state;
    glue_t      g;
    risk_news_t news;
    open_gate(&g);
    risk_limits_t l = risk_strategy(g.risk, 1)->limits;
    l.rep_n         = 100;
    limits_to(&g, SCOPE_STRATEGY, 1, 0, &l);
    for (int i = 0; i < 16; i++) {
        traded(&g, 1, 1 + (uint32_t)i % 3, i % 2 ? 5 : -5, S(1));
    }
    assert_int_equal(killed(&g, 1), 0);
    traded(&g, 1, 1, 5, S(1)); /* one more than can be counted */
    assert_int_equal(killed(&g, 1), KILLED_AUTO);
    assert_true(risk_news(g.risk, &news));
    assert_int_equal(news.observed, 17);
    assert_int_equal(news.limit, 16);
    glue_close(&g);
}

static void test_repeats_random(void **state)
{
    (void)state;
    enum { FILLS = 3000 };
    static int64_t when[FILLS];
    static int     what[FILLS];
    uint64_t       rng = seeded_seed("repeats");
    glue_t         g;
    int64_t        t     = 0;
    int            first = 0;
    open_gate(&g);
    for (int n = 0; n < FILLS; n++) {
        const int key = (int)(seeded_next(&rng) % 4);
        t += (int64_t)(seeded_next(&rng) % (uint64_t)S(20));
        when[n] = t;
        what[n] = key;
        traded(&g, 1, 1 + (uint32_t)key / 2, key % 2 ? 7 : -7, t);
        int equal = 0, all = 0;
        for (int i = first; i <= n; i++) {
            all += t - when[i] < S(60);
            equal += t - when[i] < S(60) && what[i] == key;
        }
        assert_int_equal(killed(&g, 1) != 0, equal > 3 || all > 16);
        if (killed(&g, 1)) {
            glue_control(&g, CONTROL_ENABLE, SCOPE_STRATEGY, 1, 1);
            first = n + 1;
        }
    }
    glue_close(&g);
}

static void test_rejects(void **state)
{
    (void)state;
    glue_t      g;
    risk_news_t news;
    open_gate(&g);
    for (int i = 0; i < 3; i++) {
        risk_rejected(g.risk, 1, AT(S(1) + i));
        risk_rejected(g.risk, 2, AT(S(1)));
    }
    assert_int_equal(killed(&g, 1), 0);
    risk_rejected(g.risk, 2, AT(S(11))); /* the first ones are 10 s old */
    assert_int_equal(killed(&g, 2), 0);
    risk_rejected(g.risk, 1, AT(S(11) - 1));
    assert_int_equal(killed(&g, 1), KILLED_AUTO);
    assert_true(risk_news(g.risk, &news));
    assert_int_equal(news.code, RISK_REJECT_STORM);
    assert_int_equal(news.strategy_id, 1);
    assert_int_equal(news.observed, 4);
    risk_rejected(g.risk, 1, AT(S(11)));
    assert_false(risk_news(g.risk, &news));
    glue_control(&g, CONTROL_ENABLE, SCOPE_STRATEGY, 1, 1);
    for (int i = 0; i < 3; i++) {
        risk_rejected(g.risk, 1, AT(S(11)));
    }
    assert_int_equal(killed(&g, 1), 0);
    risk_limits_t l = risk_strategy(g.risk, 2)->limits;
    l.reject_n      = 0; /* none is allowed */
    limits_to(&g, SCOPE_STRATEGY, 2, 0, &l);
    risk_rejected(g.risk, 2, AT(S(100)));
    assert_int_equal(killed(&g, 2), KILLED_AUTO);
    risk_rejected(g.risk, 0, AT(S(1)));
    risk_rejected(g.risk, 65535, AT(S(1)));
    risk_rejected(g.risk, 3, AT(S(1))); /* without limits */
    glue_close(&g);
}

/* News that nobody takes: the oldest go. */
static void test_news(void **state)
{
    (void)state;
    glue_t      g;
    risk_news_t news;
    open_gate(&g);
    assert_false(risk_news(g.risk, &news));
    for (uint32_t i = 0; i < RISK_NEWS_MAX + 2; i++) {
        risk_news_add(g.risk, &(risk_news_t){.code = RISK_REJECT_STORM, .strategy_id = i});
    }
    for (uint32_t i = 2; i < RISK_NEWS_MAX + 2; i++) {
        assert_true(risk_news(g.risk, &news));
        assert_int_equal(news.strategy_id, i);
    }
    assert_false(risk_news(g.risk, &news));
    glue_close(&g);
}

static void test_order_to_trade(void **state)
{
    (void)state;
    glue_t g;
    open_gate(&g);
    risk_flow_t *flow = risk_flow(g.risk, 1, 2);
    risk_otr_sent(flow, 5);
    risk_otr_sent(flow, 6);
    traded(&g, 1, 2, -4, S(1));
    traded(&g, 1, 2, 3, S(1));
    assert_int_equal(flow->otr_orders, 2);
    assert_int_equal(flow->otr_qty, 11);
    assert_int_equal(flow->otr_trades, 2);
    assert_int_equal(flow->otr_traded_qty, 7);
    risk_otr_sent(flow, INT64_MAX);
    traded(&g, 1, 2, INT64_MIN, S(1));
    assert_int_equal(flow->otr_qty, INT64_MAX);
    assert_int_equal(flow->otr_traded_qty, INT64_MAX);
    const uint32_t buys                   = flow->fills_buy;
    risk_account(g.risk, 1)->traded_value = 5;
    risk_day(g.risk);
    assert_int_equal(flow->otr_orders, 0);
    assert_int_equal(flow->otr_trades, 0);
    assert_int_equal(flow->otr_qty, 0);
    assert_int_equal(flow->otr_traded_qty, 0);
    assert_int_equal(flow->fills_buy, buys); /* the window of 276 knows no day */
    assert_true(risk_account(g.risk, 1)->traded_value == 0);
    glue_close(&g);
}

/* ---- budgets ----------------------------------------------------------------------------------------------------- */

static void test_budget(void **state)
{
    (void)state;
    glue_t g;
    open_gate(&g);
    venue_budget_t      b = {.used = 10, .limit = 100, .w_ns = S(60), .hold_until_utc_ns = 5, .venue_id = 1};
    const risk_venue_t *v = risk_venue(g.risk, 1);
    assert_int_equal(risk_budget(g.risk, &b, AT(S(1))), ERR_OK);
    assert_int_equal(v->budget_limit, 100);
    assert_int_equal(v->hold_until_utc_ns, 5);
    assert_int_equal(risk_budget_used(v, AT(S(1))), 10);
    risk_budget_sent(risk_venue(g.risk, 1), AT(S(2)));
    assert_int_equal(risk_budget_used(v, AT(S(61) - 1)), 11);
    assert_int_equal(risk_budget_used(v, AT(S(61))), 0);
    risk_budget_sent(risk_venue(g.risk, 1), AT(S(61)));
    assert_int_equal(risk_budget_used(v, AT(S(61))), 1);
    assert_int_equal(risk_budget_used(v, AT(S(121) - 1)), 1);
    b.venue_id = 0;
    assert_int_equal(risk_budget(g.risk, &b, AT(S(1))), ERR_ARG);
    b.venue_id = 9;
    assert_int_equal(risk_budget(g.risk, &b, AT(S(1))), ERR_ARG);
    for (int i = 0; i < 4; i++) {
        venue_budget_t bad                                                                        = {.venue_id = 1};
        *(i == 0 ? &bad.used : i == 1 ? &bad.limit : i == 2 ? &bad.w_ns : &bad.hold_until_utc_ns) = -1;
        assert_int_equal(risk_budget(g.risk, &bad, AT(S(1))), ERR_ARG);
    }
    glue_close(&g);
}

/* ---- currencies, margin, credit ---------------------------------------------------------------------------------- */

static void account_in(glue_t *g, uint32_t id, const char *ccy, int8_t exp, uint8_t hedging)
{
    const risk_account_cfg_t cfg = {.ccy       = ccy_pack(ccy),
                                    .tenant_id = 1,
                                    .money_exp = exp,
                                    .may_trade = 1,
                                    .may_short = 1,
                                    .hedging   = hedging,
                                    .ord_types = 6,
                                    .venues    = 2};
    assert_int_equal(risk_account_open(g->risk, id, &cfg), ERR_OK);
}

static void test_fx(void **state)
{
    (void)state;
    glue_t         g;
    int64_t        home;
    const uint64_t usd = ccy_pack("USD"), krw = ccy_pack("KRW"), eur = ccy_pack("EUR");
    open_gate(&g);
    account_in(&g, FOREIGN, "USD", 2, 0);
    instrument_t ins          = g.ins[1];
    ins.def.settle_ccy        = krw;
    ins.def.money_exp         = 0;
    const risk_account_t *acc = risk_account(g.risk, FOREIGN);
    assert_false(risk_is_home(acc, &ins));
    assert_null(risk_fx_find(g.risk, krw, usd));
    assert_false(risk_home(g.risk, acc, &ins, 100, &home));
    assert_int_equal(home, INT64_MAX);
    /* 1 KRW = 0.00072 USD */
    assert_int_equal(risk_fx_set(g.risk, krw, usd, 72, 5, AT(S(5))), ERR_OK);
    assert_true(risk_home(g.risk, acc, &ins, 1389, &home));
    assert_int_equal(home, 101); /* 1.00008 USD, rounded up */
    assert_int_equal(risk_fx_set(g.risk, krw, usd, 75, 5, AT(S(6))), ERR_OK);
    assert_true(risk_home(g.risk, acc, &ins, 1000, &home));
    assert_int_equal(home, 75);
    const risk_fx_t *fx = risk_fx_find(g.risk, krw, usd);
    assert_true(risk_fx_fresh(g.risk, fx, AT(S(6) + RISK_DAY_NS)));
    assert_false(risk_fx_fresh(g.risk, fx, AT(S(6) + RISK_DAY_NS + 1)));
    assert_true(risk_fx_fresh(g.risk, risk_fx_find(g.risk, usd, usd), AT(INT64_MAX)));
    /* the same currency in another scale needs no rate */
    ins.def.settle_ccy = usd;
    ins.def.money_exp  = 4;
    assert_true(risk_home(g.risk, acc, &ins, 101, &home) && home == 2);
    ins.def.money_exp = 0;
    assert_true(risk_home(g.risk, acc, &ins, 3, &home) && home == 300);
    assert_false(risk_home(g.risk, acc, &ins, INT64_MAX / 2, &home));
    assert_true(risk_home_sum(g.risk, acc, &ins, 3) == 300);
    assert_true(risk_home_sum(g.risk, acc, &ins, 0) == 0);
    assert_true(risk_home_sum(g.risk, risk_account(g.risk, 1), &g.ins[1], 5) == 5);
    assert_true(risk_home_sum(g.risk, acc, &ins, (i128_t)INT64_MAX * 4) == INT64_MAX);
    /* scales so far apart that two divisions are needed, and products that do not fit */
    assert_int_equal(risk_fx_set(g.risk, eur, usd, INT64_MAX, 18, AT(S(6))), ERR_OK);
    ins.def.settle_ccy = eur;
    ins.def.money_exp  = 12;
    assert_true(risk_home(g.risk, acc, &ins, INT64_MAX, &home));
    assert_int_equal(home, 8507059174); /* 9223372036854775807^2 / 10^28, rounded up */
    ins.def.money_exp = 0;
    assert_false(risk_home(g.risk, acc, &ins, INT64_MAX, &home));
    /* what is no rate, and more than there is room for */
    assert_int_equal(risk_fx_set(g.risk, 0, usd, 1, 0, AT(1)), ERR_ARG);
    assert_int_equal(risk_fx_set(g.risk, usd, 0, 1, 0, AT(1)), ERR_ARG);
    assert_int_equal(risk_fx_set(g.risk, usd, usd, 1, 0, AT(1)), ERR_ARG);
    assert_int_equal(risk_fx_set(g.risk, usd, krw, 0, 0, AT(1)), ERR_ARG);
    assert_int_equal(risk_fx_set(g.risk, usd, krw, 1, -1, AT(1)), ERR_ARG);
    assert_int_equal(risk_fx_set(g.risk, usd, krw, 1, 19, AT(1)), ERR_ARG);
    assert_int_equal(risk_fx_set(g.risk, usd, krw, 1, 0, AT(1)), ERR_OK);
    assert_int_equal(risk_fx_set(g.risk, usd, eur, 1, 0, AT(1)), ERR_LIMIT);
    glue_close(&g);
}

/* Need of an account, tenant and firm from scratch: sum of max(|L|, |K|) * px * margin, rounded up by instrument. */
static i128_t need_of(const glue_t *g, uint32_t account, const int64_t px[INSTRUMENTS + 1])
{
    i128_t sum = 0;
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        risk_exposure_t e;
        assert_true(risk_exposure(g->risk, account, id, &e));
        const int64_t l = e.worst_long < 0 ? -e.worst_long : e.worst_long;
        const int64_t k = e.worst_short < 0 ? -e.worst_short : e.worst_short;
        const int64_t m = risk_instrument(g->risk, id)->limits.margin_bp;
        sum += (mul_i64(max_i64(l, k) * px[id], m) + BP - 1) / BP;
    }
    return sum;
}

static void test_need_random(void **state)
{
    (void)state;
    uint64_t rng = seeded_seed("need");
    glue_t   g;
    int64_t  px[INSTRUMENTS + 1] = {0, 100, 100, 100};
    open_gate(&g);
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        book_at(&g, id, 100, S(1));
    }
    for (int n = 0; n < 3000; n++) {
        const uint32_t id = 1 + (uint32_t)(seeded_next(&rng) % INSTRUMENTS);
        const uint32_t a  = 1 + (uint32_t)(seeded_next(&rng) % ACCOUNTS);
        risk_limits_t  l  = risk_instrument(g.risk, id)->limits;
        switch (seeded_next(&rng) % 3) {
        case 0:
            px[id] = 50 + (int64_t)(seeded_next(&rng) % 100);
            book_at(&g, id, px[id], S(2 + n));
            break;
        case 1:
            l.margin_bp = 1 + (int64_t)(seeded_next(&rng) % 20000);
            limits_to(&g, SCOPE_INSTRUMENT, id, 0, &l);
            break;
        default: {
            const int64_t        qty  = (int64_t)(seeded_next(&rng) % 21) - 10;
            const order_effect_t fill = fill_of(a, 1, id, qty ? qty : 1, px[id]);
            assert_true(risk_exec(g.risk, &g.ins[id], &fill));
        }
        }
        i128_t firm = 0;
        for (uint32_t i = 1; i <= ACCOUNTS; i++) {
            risk_account_state_t acc;
            assert_true(risk_account_state(g.risk, i, &acc));
            assert_true(acc.need == need_of(&g, i, px));
            firm += acc.need;
        }
        assert_true(risk_tenant(g.risk, 1)->need == firm && g.risk->need == firm);
        for (uint32_t i = 1; i <= INSTRUMENTS; i++) { /* holders: exactly those that have something */
            uint32_t next = risk_holder_next(g.risk, i, 0);
            for (uint32_t acc = 1; acc <= GLUE_ACCOUNTS; acc++) {
                risk_exposure_t e = {0};
                risk_exposure(g.risk, acc, i, &e);
                if (e.pos != 0) {
                    assert_int_equal(next, acc);
                    next = risk_holder_next(g.risk, i, acc);
                }
            }
            assert_int_equal(next, 0);
        }
    }
    glue_close(&g);
}

/* An account in another currency than the firm: its need counts at the rate of the moment, and never drifts. */
static void test_need_firm(void **state)
{
    (void)state;
    glue_t g;
    open_gate(&g); /* account 1 says what the firm's money is */
    const uint64_t firm = g.risk->firm_ccy, krw = ccy_pack("KRW");
    assert_int_equal(firm, risk_account(g.risk, 1)->cfg.ccy);
    account_in(&g, FOREIGN, "KRW", 0, 0);
    g.ins[2].def.settle_ccy  = krw;
    g.ins[2].def.money_exp   = 0;
    const order_effect_t buy = fill_of(FOREIGN, 0, 2, 10, 100), sell = fill_of(FOREIGN, 0, 2, -10, 100);
    assert_true(risk_exec(g.risk, &g.ins[2], &buy));
    assert_true(risk_account(g.risk, FOREIGN)->need == 1000);
    assert_true(g.risk->need == INT64_MAX); /* no rate: more than any credit */
    assert_int_equal(risk_fx_set(g.risk, krw, firm, 5, 1, AT(1)), ERR_OK);
    book_at(&g, 2, 200, S(1));
    assert_true(risk_account(g.risk, FOREIGN)->need == 2000);
    assert_true(g.risk->need == 1000 && risk_tenant(g.risk, 1)->need == 1000);
    assert_int_equal(risk_fx_set(g.risk, krw, firm, 7, 1, AT(2)), ERR_OK);
    assert_true(risk_exec(g.risk, &g.ins[2], &sell));
    assert_true(g.risk->need == 0 && risk_tenant(g.risk, 1)->need == 0);
    /* a position that settles elsewhere follows its rate with each mark, also one that moves nothing */
    g.ins[2].def.settle_ccy = ccy_pack("EUR");
    assert_int_equal(risk_fx_set(g.risk, ccy_pack("EUR"), krw, 1000, 0, AT(3)), ERR_OK);
    assert_true(risk_exec(g.risk, &g.ins[2], &buy));
    assert_true(risk_account(g.risk, FOREIGN)->gross == 2000000);
    assert_int_equal(risk_fx_set(g.risk, ccy_pack("EUR"), krw, 1100, 0, AT(4)), ERR_OK);
    book_at(&g, 2, 200, S(2));
    assert_true(risk_account(g.risk, FOREIGN)->gross == 2200000);
    assert_true(risk_account(g.risk, FOREIGN)->traded_value == 1000 + 1000 + 1000000);
    risk_equity(g.risk, FOREIGN, 77, 66);
    assert_int_equal(risk_account(g.risk, FOREIGN)->equity, 77);
    assert_int_equal(risk_account(g.risk, FOREIGN)->cash_free, 66);
    risk_volume(g.risk, 2, 99);
    assert_int_equal(risk_instrument(g.risk, 2)->adv_qty, 99);
    glue_close(&g);
}

/* ---- buckets, corrections ---------------------------------------------------------------------------------------- */

static void test_buckets(void **state)
{
    (void)state;
    glue_t g;
    open_gate(&g);
    account_in(&g, FOREIGN, "USDT", 8, 1);
    const struct {
        int64_t qty, undone;
        uint8_t effect, bust;
        int64_t long_qty, short_qty;
    } steps[] = {
        {10, 0, POSITION_EFFECT_OPEN, 0, 10, 0}, {-4, 0, POSITION_EFFECT_OPEN, 0, 10, 4},
        {3, 0, POSITION_EFFECT_CLOSE, 0, 10, 1}, {3, 0, POSITION_EFFECT_CLOSE, 0, 12, 0},
        {-5, 0, POSITION_EFFECT_NONE, 0, 7, 0},  {-9, 0, POSITION_EFFECT_CLOSE, 0, 0, 2},
        {2, 0, POSITION_EFFECT_OPEN, 1, 0, 0},   {10, 0, POSITION_EFFECT_OPEN, 0, 10, 0},
        {-10, 0, POSITION_EFFECT_OPEN, 1, 0, 0}, {-10, 0, POSITION_EFFECT_OPEN, 0, 0, 10},
        {8, 0, POSITION_EFFECT_CLOSE, 0, 0, 2},  {-8, 0, POSITION_EFFECT_CLOSE, 1, 0, 10},
        {8, 5, POSITION_EFFECT_OPEN, 0, 8, 15},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        order_effect_t fill  = fill_of(FOREIGN, 0, 1, steps[i].qty, 100);
        fill.position_effect = steps[i].effect;
        fill.alarms          = steps[i].bust ? 1U << ALARM_BUST : 0;
        fill.corrected       = steps[i].undone != 0;
        fill.undone_qty      = steps[i].undone;
        assert_true(risk_exec(g.risk, &g.ins[1], &fill));
        const risk_row_t *row = risk_row(g.risk, FOREIGN, 1);
        assert_int_equal(row->long_qty, steps[i].long_qty);
        assert_int_equal(row->short_qty, steps[i].short_qty);
        assert_int_equal(row->pos, row->long_qty - row->short_qty);
    }
    /* open orders that close a bucket */
    order_effect_t order = {.row           = 0,
                            .account_id    = FOREIGN,
                            .instrument_id = 1,
                            .after         = {.qty             = 5,
                                              .px_lo           = 100,
                                              .px_hi           = 100,
                                              .side            = SIDE_SELL,
                                              .counts          = 1,
                                              .position_effect = POSITION_EFFECT_CLOSE}};
    assert_true(risk_exec(g.risk, &g.ins[1], &order));
    assert_int_equal(risk_row(g.risk, FOREIGN, 1)->close_sell_open, 5);
    assert_int_equal(risk_row(g.risk, FOREIGN, 1)->sell_open, 5);
    order.before = order.after;
    order.after  = (order_part_t){
         .qty = 2, .px_lo = 100, .px_hi = 100, .side = SIDE_BUY, .counts = 1, .position_effect = POSITION_EFFECT_CLOSE};
    assert_true(risk_exec(g.risk, &g.ins[1], &order));
    assert_int_equal(risk_row(g.risk, FOREIGN, 1)->close_sell_open, 0);
    assert_int_equal(risk_row(g.risk, FOREIGN, 1)->close_buy_open, 2);
    glue_close(&g);
}

/* ---- kills ------------------------------------------------------------------------------------------------------- */

static void test_kill_pairs(void **state)
{
    (void)state;
    glue_t g;
    open_gate(&g);
    control_t c = {.kind = CONTROL_KILL, .scope_type = SCOPE_ACCOUNT_INSTRUMENT, .scope_id = 1, .value = 2};
    assert_int_equal(risk_control(g.risk, &c), ERR_OK);
    assert_true(risk_row(g.risk, 1, 2)->flags & ROW_KILLED);
    c.scope_type = SCOPE_STRATEGY_INSTRUMENT;
    assert_int_equal(risk_control(g.risk, &c), ERR_OK);
    assert_true(risk_strategy_row(g.risk, 1, 2)->flags & ROW_KILLED);
    c.value = -2;
    assert_int_equal(risk_control(g.risk, &c), ERR_OK);
    assert_false(risk_strategy_row(g.risk, 1, 2)->flags & ROW_KILLED);
    c.scope_type = SCOPE_ACCOUNT_VENUE;
    c.value      = 3;
    assert_int_equal(risk_control(g.risk, &c), ERR_OK);
    assert_int_equal(risk_account(g.risk, 1)->venues_killed, 1U << 3);
    c.value = -3;
    assert_int_equal(risk_control(g.risk, &c), ERR_OK);
    assert_int_equal(risk_account(g.risk, 1)->venues_killed, 0);
    static const control_t bad[] = {
        {.kind = CONTROL_KILL, .scope_type = SCOPE_ACCOUNT_VENUE, .scope_id = 1, .value = 9},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_ACCOUNT_VENUE, .scope_id = 1, .value = 0},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_ACCOUNT_VENUE, .scope_id = 1, .value = INT64_MIN + 1},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_ACCOUNT_INSTRUMENT, .scope_id = 99, .value = 1},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_ACCOUNT_INSTRUMENT, .scope_id = 1, .value = 99},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_STRATEGY_INSTRUMENT, .scope_id = 99, .value = 1},
        {.kind = CONTROL_KILL, .scope_type = SCOPE_TENANT_INSTRUMENT, .scope_id = 1, .value = 1},
        {.kind = CONTROL_ENABLE, .scope_type = SCOPE_ACCOUNT, .scope_id = 1, .value = 1},
        {.kind = CONTROL_ENABLE, .scope_type = SCOPE_STRATEGY, .scope_id = 99, .value = 1},
        {.kind = CONTROL_SETTLE, .scope_type = SCOPE_ACCOUNT, .scope_id = 1, .value = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(risk_control(g.risk, &bad[i]), ERR_ARG);
    }
    glue_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vol_bounds), cmocka_unit_test(test_vol_young),    cmocka_unit_test(test_vol_random),
        cmocka_unit_test(test_repeats),    cmocka_unit_test(test_repeats_ring), cmocka_unit_test(test_repeats_random),
        cmocka_unit_test(test_rejects),    cmocka_unit_test(test_news),         cmocka_unit_test(test_order_to_trade),
        cmocka_unit_test(test_budget),     cmocka_unit_test(test_fx),           cmocka_unit_test(test_need_random),
        cmocka_unit_test(test_need_firm),  cmocka_unit_test(test_buckets),      cmocka_unit_test(test_kill_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
