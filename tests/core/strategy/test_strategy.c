/* A fake engine stands behind the context: it holds tops, positions and orders, records every request, and denies when
 * it is told to. Invariants
 *   1. The built-ins are found by name, fit the engine's block of state, and refuse settings with a sentence.
 *   2. kit_size: lots worth at most the notional unless the venue's minimum is more; never below that minimum.
 *   3. market_maker: one order a side; on tick; never through the book; replaced only when its target moved; leans and
 *      stops with its position; leaves the market when the feed breaks; denials make no storm.
 *   4. sma_cross: follows the cross with IOC orders, flips, keeps its pause, starts again after a feed gap.
 *   5. Random life: the rules above at every request; a byte copy of the state behaves alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/strategy/kit.h"

static uint64_t rng_state;

static uint64_t rnd(void)
{
    uint64_t z = (rng_state += 0x9e3779b97f4a7c15ULL);
    z          = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z          = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static int64_t rnd_in(int64_t low, int64_t high)
{
    return low + (int64_t)(rnd() % (uint64_t)(high - low + 1));
}

/* ---- the fake engine --------------------------------------------------------------------------------------------- */

enum { HOST_INSTRUMENTS = 20, HOST_ORDERS = 4096 };

typedef struct host_order {
    order_req_t req;     /* px: in force at the venue */
    int64_t     px_next; /* of the replace under way, 0 = none */
    int64_t     cum;
    bool        open;
} host_order_t;

typedef struct host {
    instrument_t   ins[HOST_INSTRUMENTS + 1];
    strategy_top_t top[HOST_INSTRUMENTS + 1];
    bool           live[HOST_INSTRUMENTS + 1];
    int64_t        position[HOST_INSTRUMENTS + 1];
    host_order_t   orders[HOST_ORDERS];
    uint32_t       order_count;
    uint32_t       news, replaces, cancels, denied;
    uint16_t       deny;  /* answer every request with this code */
    uint64_t       trail; /* of all requests: equal for equal behaviour */
} host_t;

static const instrument_t *host_instrument(const strategy_ctx_t *ctx, uint32_t id)
{
    const host_t *h = ctx->host;
    return id >= 1 && id <= HOST_INSTRUMENTS && h->ins[id].def.instrument_id != 0 ? &h->ins[id] : NULL;
}

static bool host_top(const strategy_ctx_t *ctx, uint32_t id, strategy_top_t *out)
{
    const host_t *h = ctx->host;
    if (h->live[id]) {
        *out = h->top[id];
    }
    return h->live[id];
}

static int64_t host_position(const strategy_ctx_t *ctx, uint32_t id)
{
    return ((const host_t *)ctx->host)->position[id];
}

static void trail(host_t *h, uint64_t a, int64_t b, int64_t c)
{
    h->trail = (h->trail ^ a ^ (uint64_t)b * 31 ^ (uint64_t)c * 131) * 0x9e3779b97f4a7c15ULL;
}

static host_order_t *host_order(host_t *h, uint64_t id)
{
    assert_in_range(id, 1, h->order_count);
    return &h->orders[id - 1];
}

static uint16_t host_new(const strategy_ctx_t *ctx, const order_req_t *req, uint64_t *id)
{
    host_t             *h   = ctx->host;
    const instrument_t *ins = &h->ins[req->instrument_id];
    assert_true(req->action == ORDER_ACTION_NEW && req->ord_type == ORD_TYPE_LIMIT && req->account_id == 7);
    assert_true(req->strategy_id == 3 && req->created_mono_ns == ctx->now.mono_ns);
    assert_true(instrument_on_tick(ins, req->px) && req->qty > 0 && req->qty % ins->def.lot == 0);
    assert_true(req->qty >= ins->def.min_qty);
    for (uint32_t i = 0; i < h->order_count; i++) {
        const host_order_t *o = &h->orders[i];
        if (o->open && o->req.instrument_id == req->instrument_id && o->req.side == req->side) {
            fail_msg("a second order on one side of instrument %u", req->instrument_id);
        }
    }
    assert_true(h->order_count < HOST_ORDERS);
    h->orders[h->order_count++] = (host_order_t){.req = *req, .open = h->deny == 0};
    *id                         = h->order_count;
    h->news++;
    h->denied += h->deny != 0;
    trail(h, *id, req->px, req->qty);
    return h->deny;
}

static uint16_t host_replace(const strategy_ctx_t *ctx, uint64_t id, int64_t px, int64_t qty)
{
    host_t       *h = ctx->host;
    host_order_t *o = host_order(h, id);
    assert_true(o->open && qty == o->req.qty && px != o->req.px);
    assert_true(instrument_on_tick(&h->ins[o->req.instrument_id], px));
    h->replaces++;
    h->denied += h->deny != 0;
    trail(h, id, px, qty);
    if (h->deny == 0) {
        o->px_next = px;
    }
    return h->deny;
}

static uint16_t host_cancel(const strategy_ctx_t *ctx, uint64_t id)
{
    host_t *h = ctx->host;
    assert_true(host_order(h, id)->open);
    h->cancels++;
    h->denied += h->deny != 0;
    trail(h, id, -1, -1);
    return h->deny;
}

typedef struct rig { /* one strategy on the fake engine */
    const strategy_ops_t *ops;
    host_t                host;
    strategy_ctx_t        ctx;
    _Alignas(64) unsigned char state[STRATEGY_STATE_MAX];
} rig_t;

static instrument_def_t def_of(uint32_t id, uint8_t kind)
{
    instrument_def_t def = {.instrument_id = id,
                            .venue_id      = 1,
                            .kind          = kind,
                            .px_exp        = 1,
                            .qty_exp       = 3,
                            .money_exp     = 8,
                            .settle_ccy    = ccy_pack("USDT"),
                            .lot           = 1,
                            .min_qty       = 1,
                            .min_notional  = 500000000,
                            .mult          = 1};
    if (kind == INSTRUMENT_INVERSE) {
        def.qty_exp = 0, def.mult = 100, def.settle_ccy = ccy_pack("BTC"), def.min_notional = 0;
    }
    return def;
}

static void rig_instrument(rig_t *r, uint32_t id, uint8_t kind)
{
    const instrument_def_t def = def_of(id, kind);
    assert_int_equal(instrument_init(&r->host.ins[id], &def, "TEST", (tick_band_t[]){{0, 1}, {500000, 5}}, 2), ERR_OK);
}

static err_t rig_init(rig_t *r, const char *name, uint32_t count, const strategy_param_t *params)
{
    strategy_cfg_t cfg = {.strategy_id = 3, .account_id = 7, .param_count = count};
    for (uint32_t i = 0; i < count; i++) {
        cfg.params[i] = params[i];
    }
    memset(r, 0, sizeof *r);
    memset(r->state, 0xee, sizeof r->state);
    r->ops = strategy_find(name);
    assert_non_null(r->ops);
    r->ctx             = (strategy_ctx_t){.abi_version   = STRATEGY_ABI_VERSION,
                                          .strategy_id   = 3,
                                          .host          = &r->host,
                                          .instrument    = host_instrument,
                                          .top           = host_top,
                                          .position      = host_position,
                                          .order_new     = host_new,
                                          .order_replace = host_replace,
                                          .order_cancel  = host_cancel};
    r->ctx.now.mono_ns = 1000 * NS_PER_S;
    return r->ops->init(r->state, &cfg);
}

static rig_t *rig(const char *name, uint8_t kind, uint32_t count, const strategy_param_t *params)
{
    static rig_t r;
    if (rig_init(&r, name, count, params) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
    rig_instrument(&r, 1, kind);
    return &r;
}

static void book(rig_t *r, uint32_t id, int64_t bid, int64_t ask)
{
    r->host.live[id] = true;
    r->host.top[id]  = (strategy_top_t){bid, 1000, ask, 1000};
    r->ops->on_book(r->state, &r->ctx, id);
}

static void pass(rig_t *r, int64_t ms)
{
    r->ctx.now.mono_ns += ms * NS_PER_MS;
}

static void feed(rig_t *r, uint32_t id, feed_health_t health)
{
    r->host.live[id] = health == FEED_LIVE;
    r->ops->on_feed(r->state, &r->ctx, id, health);
}

static void report(rig_t *r, uint64_t id, exec_type_t type, int64_t last_qty)
{
    host_order_t *o = host_order(&r->host, id);
    o->cum += last_qty;
    r->host.position[o->req.instrument_id] += o->req.side == SIDE_BUY ? last_qty : -last_qty;
    if (type == EXEC_TYPE_REPLACED && o->px_next != 0) {
        o->req.px = o->px_next;
    }
    o->px_next      = type == EXEC_TYPE_REPLACED || type == EXEC_TYPE_REPLACE_REJECT ? 0 : o->px_next;
    const bool dead = type == EXEC_TYPE_CANCELED || type == EXEC_TYPE_REJECTED || type == EXEC_TYPE_EXPIRED ||
                      type == EXEC_TYPE_UNSENT || (type == EXEC_TYPE_TRADE && o->cum >= o->req.qty);
    o->open               = o->open && !dead;
    const exec_report_t e = {.cl_ord_id     = id,
                             .instrument_id = o->req.instrument_id,
                             .strategy_id   = 3,
                             .account_id    = 7,
                             .side          = o->req.side,
                             .exec_type     = (uint8_t)type,
                             .last_qty      = last_qty,
                             .last_px       = o->req.px,
                             .px            = type == EXEC_TYPE_REPLACED ? o->req.px : 0,
                             .cum_qty       = -1,
                             .leaves_qty    = -1};
    if (r->ops->on_exec) {
        r->ops->on_exec(r->state, &r->ctx, &e);
    }
}

static const host_order_t *working(const rig_t *r, uint32_t instrument_id, side_t side, uint64_t *id)
{
    for (uint32_t i = 0; i < r->host.order_count; i++) {
        const host_order_t *o = &r->host.orders[i];
        if (o->open && o->req.instrument_id == instrument_id && o->req.side == side) {
            *id = i + 1;
            return o;
        }
    }
    *id = 0;
    return NULL;
}

/* ---- 1 ----------------------------------------------------------------------------------------------------------- */

static void test_built_ins_are_found(void **state)
{
    (void)state;
    uint32_t count = 0;
    for (const strategy_ops_t *ops = strategy_at(0); ops != NULL; ops = strategy_at(++count)) {
        assert_ptr_equal(strategy_find(ops->name), ops);
        assert_int_equal(ops->abi_version, STRATEGY_ABI_VERSION);
        assert_in_range(ops->state_bytes, 1, STRATEGY_STATE_MAX);
        assert_non_null(ops->init);
        assert_non_null(ops->help);
    }
    assert_int_equal(count, 3);
    assert_null(strategy_find("market_mak"));
    assert_null(strategy_find(""));
    const strategy_cfg_t cfg = {.param_count = 2, .params = {{"abc", 5}, {"abcd", 6}}};
    assert_int_equal(strategy_param(&cfg, "abcd", 1), 6);
    assert_int_equal(strategy_param(&cfg, "ab", 1), 1);
}

static void test_settings_are_refused_by_name(void **state)
{
    (void)state;
    static rig_t r;
    const struct {
        const char      *strategy;
        strategy_param_t param;
    } bad[] = {{"market_maker", {"notionel", 5}},
               {"market_maker", {"notional", 0}},
               {"market_maker", {"inventory", 1001}},
               {"market_maker", {"post_only", 2}},
               {"market_maker", {"half_spread_ppm", -1}},
               {"sma_cross", {"fast", 20}},
               {"sma_cross", {"slow", 41}},
               {"sma_cross", {"sample_ms", 0}},
               {"sma_cross", {"half_spread_ppm", 1}}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(rig_init(&r, bad[i].strategy, 1, &bad[i].param), ERR_CONFIG);
        assert_non_null(strstr(err_msg(), bad[i].param.name));
        assert_non_null(strstr(err_msg(), bad[i].strategy));
    }
    const strategy_cfg_t nobody = {.strategy_id = 1};
    assert_int_equal(strategy_find("sma_cross")->init(r.state, &nobody), ERR_CONFIG);
    assert_non_null(strstr(err_msg(), "account"));
    const strategy_cfg_t many = {.strategy_id = 1, .account_id = 1, .param_count = STRATEGY_PARAMS_MAX + 1};
    assert_int_equal(strategy_find("sma_cross")->init(r.state, &many), ERR_CONFIG);
}

/* ---- 2 ----------------------------------------------------------------------------------------------------------- */

static void test_size_by_hand(void **state)
{
    (void)state;
    static rig_t r;
    rig_instrument(&r, 1, INSTRUMENT_LINEAR); /* 0.001 lots at 61602.1: 1000 buys 0.016, 5 USDT at least 0.001 */
    assert_int_equal(kit_size(&r.host.ins[1], 616021, 1000), 16);
    assert_int_equal(kit_size(&r.host.ins[1], 616021, 1), 1);
    assert_int_equal(kit_size(&r.host.ins[1], 1000, 1), 50); /* 5 USDT at 100 */
    r.host.ins[1].def.min_qty = 40;
    r.host.ins[1].def.lot     = 3;
    assert_int_equal(kit_size(&r.host.ins[1], 616021, 1000), 42);
    assert_int_equal(kit_size(&r.host.ins[1], 0, 1000), 0);
    rig_instrument(&r, 2, INSTRUMENT_INVERSE); /* contracts of 100 USD */
    assert_int_equal(kit_size(&r.host.ins[2], 600000, 1000), 10);
    assert_int_equal(kit_size(&r.host.ins[2], 600000, 1050), 10);
    r.host.ins[2].def.min_notional = 10000000;                    /* 0.1 BTC at 60,000 = 6,000 USD */
    assert_int_equal(kit_size(&r.host.ins[2], 600000, 1000), 61); /* a lot's value is rounded down */
    assert_int_equal(kit_size(&r.host.ins[2], -5, 1000), 0);
}

static void test_size_respects_notional_and_minimum(void **state)
{
    (void)state;
    uint32_t sized = 0;
    for (int i = 0; i < 20000; i++) {
        static rig_t  r;
        const int64_t notional = rnd_in(1, 100000);
        const int64_t px       = rnd_in(1, (int64_t)1 << rnd_in(1, 36));
        int64_t       value    = 0;
        int64_t       less     = 0;
        rig_instrument(&r, 1, rnd() % 2 ? INSTRUMENT_LINEAR : INSTRUMENT_SPOT);
        instrument_def_t *def = &r.host.ins[1].def;
        def->lot              = rnd_in(1, 100);
        def->min_qty          = rnd_in(0, 1000);
        def->min_notional     = rnd_in(0, 1000) * 1000000;
        const int64_t qty     = kit_size(&r.host.ins[1], px, notional);
        if (qty == 0) {
            continue;
        }
        sized++;
        assert_true(qty % def->lot == 0 && qty >= def->min_qty);
        assert_true(instrument_notional(&r.host.ins[1], px, qty, &value) && value >= def->min_notional);
        assert_true(instrument_notional(&r.host.ins[1], px, qty - def->lot, &less));
        const bool at_minimum = qty - def->lot < def->min_qty || less < def->min_notional || qty == def->lot;
        assert_true(at_minimum || value <= notional * 100000000);
    }
    assert_true(sized > 19000);
}

/* ---- 3 ----------------------------------------------------------------------------------------------------------- */

static void test_maker_quotes_both_sides_of_mid(void **state)
{
    (void)state;
    rig_t   *r    = rig("market_maker", INSTRUMENT_LINEAR, 0, NULL);
    uint64_t buy  = 0;
    uint64_t sell = 0;
    book(r, 1, 600000, 600005); /* mid 600002, 50 ppm = 30: 599972, 600032, outwards to ticks of 5 */
    const host_order_t *b = working(r, 1, SIDE_BUY, &buy);
    const host_order_t *s = working(r, 1, SIDE_SELL, &sell);
    assert_true(b != NULL && s != NULL);
    assert_int_equal(b->req.px, 599970);
    assert_int_equal(s->req.px, 600035);
    assert_int_equal(b->req.qty, 16);
    assert_int_equal(b->req.exec_inst, EXEC_INST_POST_ONLY);
    pass(r, 1000);
    book(r, 1, 600500, 600505); /* far away, but nothing is acknowledged yet */
    assert_int_equal(r->host.news + r->host.replaces + r->host.cancels, 2);
    report(r, buy, EXEC_TYPE_NEW, 0);
    report(r, sell, EXEC_TYPE_NEW, 0);
    book(r, 1, 600005, 600010); /* 5 away: not worth a message */
    assert_int_equal(r->host.replaces, 0);
    book(r, 1, 600500, 600505);
    assert_int_equal(r->host.replaces, 2);
    report(r, buy, EXEC_TYPE_REPLACED, 0);
    assert_int_equal(b->req.px, 600470);
    report(r, sell, EXEC_TYPE_REPLACED, 0);
    pass(r, 199);
    book(r, 1, 600900, 600905); /* within the pause of requote_ms */
    assert_int_equal(r->host.replaces, 2);
    pass(r, 1);
    book(r, 1, 600900, 600905);
    assert_int_equal(r->host.replaces, 4);
}

static void test_maker_never_quotes_through_the_book(void **state)
{
    (void)state;
    const strategy_param_t p[] = {{"half_spread_ppm", 0}, {"skew_ppm", 5000}, {"requote_ms", 0}, {"requote_ppm", 0}};
    rig_t                 *r   = rig("market_maker", INSTRUMENT_LINEAR, 4, p);
    uint64_t               id  = 0;
    r->host.position[1]        = 64; /* four of five sizes long: leans down by 4/5 x 5000 ppm, far below the bid */
    book(r, 1, 600000, 600005);
    assert_int_equal(working(r, 1, SIDE_SELL, &id)->req.px, 600005);
    assert_true(working(r, 1, SIDE_BUY, &id)->req.px < 598000);
    r                   = rig("market_maker", INSTRUMENT_LINEAR, 4, p);
    r->host.position[1] = -64;
    book(r, 1, 600000, 600005);
    assert_int_equal(working(r, 1, SIDE_BUY, &id)->req.px, 600000);
    assert_true(working(r, 1, SIDE_SELL, &id)->req.px > 602000);
}

static void test_maker_stops_at_its_inventory(void **state)
{
    (void)state;
    rig_t   *r  = rig("market_maker", INSTRUMENT_LINEAR, 1, (strategy_param_t[]){{"inventory", 2}});
    uint64_t id = 0;
    for (int i = 0; i < 2; i++) {
        book(r, 1, 600000, 600005);
        assert_non_null(working(r, 1, SIDE_BUY, &id));
        report(r, id, EXEC_TYPE_NEW, 0);
        report(r, id, EXEC_TYPE_TRADE, 10);
        assert_non_null(working(r, 1, SIDE_BUY, &id)); /* six are left */
        report(r, id, EXEC_TYPE_TRADE, 6);
        pass(r, 1000);
    }
    book(r, 1, 600000, 600005);
    assert_null(working(r, 1, SIDE_BUY, &id));
    assert_non_null(working(r, 1, SIDE_SELL, &id));
    r->host.position[1] = -32; /* now it may not sell: the order that stands is withdrawn */
    pass(r, 1000);
    book(r, 1, 600000, 600005);
    assert_int_equal(r->host.cancels, 1);
}

static void test_maker_does_not_sell_spot_short(void **state)
{
    (void)state;
    uint64_t id = 0;
    rig_t   *r  = rig("market_maker", INSTRUMENT_SPOT, 0, NULL);
    book(r, 1, 600000, 600005);
    assert_null(working(r, 1, SIDE_SELL, &id));
    r->host.position[1] = 16;
    pass(r, 1000);
    book(r, 1, 600000, 600005);
    assert_non_null(working(r, 1, SIDE_SELL, &id));
    r = rig("market_maker", INSTRUMENT_SPOT, 1, (strategy_param_t[]){{"spot_short", 1}});
    book(r, 1, 600000, 600005);
    assert_non_null(working(r, 1, SIDE_SELL, &id));
}

static void test_maker_leaves_when_the_feed_breaks(void **state)
{
    (void)state;
    rig_t *r = rig("market_maker", INSTRUMENT_LINEAR, 0, NULL);
    book(r, 1, 600000, 600005);
    report(r, 1, EXEC_TYPE_NEW, 0);
    r->host.deny = 274;
    feed(r, 1, FEED_BROKEN); /* buy is live, sell not acknowledged: both go, and both are refused */
    assert_int_equal(r->host.cancels, 2);
    r->ops->on_tick(r->state, &r->ctx);
    assert_int_equal(r->host.cancels, 2); /* not before the back-off is over */
    r->host.deny = 0;
    pass(r, 1000);
    r->ops->on_tick(r->state, &r->ctx);
    assert_int_equal(r->host.cancels, 4);
    pass(r, 60000);
    r->ops->on_tick(r->state, &r->ctx);
    assert_int_equal(r->host.cancels, 4); /* on their way */
    report(r, 1, EXEC_TYPE_CANCELED, 0);
    report(r, 2, EXEC_TYPE_CANCEL_REJECT, 0);
    pass(r, 60000);
    r->ops->on_tick(r->state, &r->ctx);
    assert_int_equal(r->host.cancels, 5);
    report(r, 2, EXEC_TYPE_CANCELED, 0);
    assert_int_equal(r->host.news, 2);
    feed(r, 1, FEED_LIVE);
    pass(r, 60000);
    book(r, 1, 600000, 600005);
    assert_int_equal(r->host.news, 4);
}

static void test_maker_denials_make_no_storm(void **state)
{
    (void)state;
    rig_t *r     = rig("market_maker", INSTRUMENT_LINEAR, 0, NULL);
    r->host.deny = 150;
    for (int i = 0; i < 6000; i++) { /* a book every 10 ms for a minute */
        pass(r, 10);
        book(r, 1, 600000 + 5 * (i % 50), 600005 + 5 * (i % 50));
    }
    assert_in_range(r->host.news, 8, 12); /* 1, 2, 4, .. 32 s: six a side */
    r->host.deny = 0;
    pass(r, 64000);
    book(r, 1, 600000, 600005);
    const uint32_t news = r->host.news;
    report(r, news - 1, EXEC_TYPE_NEW, 0); /* the venue confirms: the next back-off begins at one second again */
    report(r, news - 1, EXEC_TYPE_REJECTED, 0);
    pass(r, 999);
    book(r, 1, 600000, 600005);
    assert_int_equal(r->host.news, news);
    pass(r, 1);
    book(r, 1, 600000, 600005);
    assert_int_equal(r->host.news, news + 1);
}

static void test_maker_rejections_make_no_storm(void **state)
{
    (void)state;
    rig_t *r = rig("market_maker", INSTRUMENT_LINEAR, 0, NULL);
    for (int i = 0; i < 6000; i++) {
        const uint32_t before = r->host.news;
        pass(r, 10);
        book(r, 1, 600000, 600005);
        for (uint32_t id = before + 1; id <= r->host.news; id++) {
            report(r, id, EXEC_TYPE_REJECTED, 0);
        }
    }
    assert_in_range(r->host.news, 8, 12);
}

static void test_maker_asks_again_after_a_refused_replace(void **state)
{
    (void)state;
    rig_t *r = rig("market_maker", INSTRUMENT_LINEAR, 0, NULL);
    book(r, 1, 600000, 600005);
    report(r, 1, EXEC_TYPE_NEW, 0);
    pass(r, 1000);
    book(r, 1, 600500, 600505);
    assert_int_equal(r->host.replaces, 1);
    report(r, 1, EXEC_TYPE_REPLACE_REJECT, 0);
    pass(r, 1000);
    book(r, 1, 600500, 600505);
    assert_int_equal(r->host.replaces, 2);
}

static void test_maker_ignores_reports_of_other_orders(void **state)
{
    (void)state;
    rig_t *r = rig("market_maker", INSTRUMENT_LINEAR, 0, NULL);
    book(r, 1, 600000, 600005);
    report(r, 1, EXEC_TYPE_NEW, 0);
    report(r, 1, EXEC_TYPE_CANCELED, 0);
    pass(r, 1000);
    book(r, 1, 600000, 600005);
    assert_int_equal(r->host.news, 3);
    report(r, 1, EXEC_TYPE_TRADE, 16); /* a late fill of the old buy ... */
    report(r, 1, EXEC_TYPE_CANCELED, 0);
    pass(r, 1000);
    book(r, 1, 600000, 600005);
    assert_int_equal(r->host.news, 3);  /* ... and the new one still stands */
    report(r, 3, EXEC_TYPE_TIMEOUT, 0); /* in doubt: keeps its place */
    pass(r, 1000);
    book(r, 1, 600000, 600005);
    assert_int_equal(r->host.news, 3);
    report(r, 3, EXEC_TYPE_UNSENT, 0);
    pass(r, 1000);
    book(r, 1, 600000, 600005);
    assert_int_equal(r->host.news, 4);
}

static void test_maker_serves_sixteen_instruments(void **state)
{
    (void)state;
    rig_t *r = rig("market_maker", INSTRUMENT_LINEAR, 0, NULL);
    for (uint32_t id = 1; id <= HOST_INSTRUMENTS; id++) {
        rig_instrument(r, id, INSTRUMENT_LINEAR);
        book(r, id, 600000, 600005);
    }
    assert_int_equal(r->host.news, 32);
    r = rig("market_maker", INSTRUMENT_LINEAR, 1, (strategy_param_t[]){{"instrument", 19}});
    rig_instrument(r, 19, INSTRUMENT_INVERSE);
    book(r, 1, 600000, 600005);
    assert_int_equal(r->host.news, 0);
    book(r, 19, 600000, 600005);
    assert_int_equal(r->host.news, 2);
    book(r, 20, 600000, 600005); /* the engine does not know it */
    r->host.top[19].ask_qty = 0;
    pass(r, 1000);
    r->ops->on_book(r->state, &r->ctx, 19); /* one side empty: stays as it is */
    assert_int_equal(r->host.news, 2);
}

/* ---- 4 ----------------------------------------------------------------------------------------------------------- */

/* Samples at mid once a second. */
static void samples(rig_t *r, int count, int64_t mid)
{
    while (count-- > 0) {
        pass(r, 1000);
        book(r, 1, mid - 5, mid + 5);
    }
}

static void test_cross_follows_and_flips(void **state)
{
    (void)state;
    uint64_t id = 0;
    rig_t   *r  = rig("sma_cross", INSTRUMENT_LINEAR, 0, NULL);
    samples(r, 19, 600000);
    samples(r, 1, 600100); /* the twentieth: fast is 20 above, slow 5; the band is 3 */
    const host_order_t *o = working(r, 1, SIDE_BUY, &id);
    assert_non_null(o);
    assert_int_equal(o->req.tif, TIF_IOC);
    assert_int_equal(o->req.px, 600165); /* ask 600105 + 100 ppm, down to the tick */
    assert_int_equal(o->req.qty, 16);
    samples(r, 10, 600100);
    assert_int_equal(r->host.news, 1); /* under way */
    report(r, id, EXEC_TYPE_TRADE, 10);
    report(r, id, EXEC_TYPE_EXPIRED, 0);
    samples(r, 1, 600100);
    assert_int_equal(working(r, 1, SIDE_BUY, &id)->req.qty, 6); /* what is missing */
    report(r, id, EXEC_TYPE_TRADE, 6);
    samples(r, 10, 600100);
    assert_int_equal(r->host.news, 2); /* there */
    samples(r, 10, 599000);
    o = working(r, 1, SIDE_SELL, &id);
    assert_non_null(o);
    assert_int_equal(o->req.qty, 32);    /* from long to short in one order */
    assert_int_equal(o->req.px, 598940); /* bid 598995 - 59, up to the tick */
    report(r, id, EXEC_TYPE_EXPIRED, 0);
}

static void test_probe_sends_one_order_a_book(void **state)
{
    (void)state;
    uint64_t id = 0;
    rig_t   *r  = rig("probe", INSTRUMENT_LINEAR, 1, (strategy_param_t[]){{"lots", 3}});
    book(r, 1, 599995, 600005);
    const host_order_t *o = working(r, 1, SIDE_BUY, &id);
    assert_non_null(o);
    assert_int_equal(o->req.tif, TIF_IOC);
    assert_int_equal(o->req.px, 600005);
    assert_int_equal(o->req.qty, 3);
    report(r, id, EXEC_TYPE_TRADE, 3);
    book(r, 1, 599985, 599995);
    o = working(r, 1, SIDE_SELL, &id);
    assert_non_null(o);
    assert_int_equal(o->req.px, 599985);
    assert_int_equal(r->host.news, 2);
    r = rig("probe", INSTRUMENT_LINEAR, 1, (strategy_param_t[]){{"instrument", 2}});
    book(r, 1, 599995, 600005);
    assert_int_equal(r->host.news, 0); /* another instrument */
}

static void test_cross_keeps_its_pause_and_band(void **state)
{
    (void)state;
    uint64_t id = 0;
    rig_t   *r  = rig("sma_cross", INSTRUMENT_LINEAR, 0, NULL);
    samples(r, 30, 600000);
    samples(r, 10, 600003); /* within 5 ppm */
    assert_int_equal(r->host.news, 0);
    samples(r, 3, 600400);
    assert_int_equal(r->host.news, 1);
    assert_non_null(working(r, 1, SIDE_BUY, &id));
    report(r, id, EXEC_TYPE_EXPIRED, 0); /* nothing traded: again, but not before cooldown_ms */
    const int64_t sent_ns = host_order(&r->host, id)->req.created_mono_ns;
    while (r->host.news == 1) {
        samples(r, 1, 600400);
    }
    assert_int_equal(r->ctx.now.mono_ns - sent_ns, 5 * NS_PER_S);
}

static void test_cross_starts_again_after_a_gap(void **state)
{
    (void)state;
    rig_t *r = rig("sma_cross", INSTRUMENT_LINEAR, 0, NULL);
    samples(r, 19, 600000);
    feed(r, 1, FEED_BROKEN);
    feed(r, 1, FEED_LIVE);
    samples(r, 19, 605000);
    assert_int_equal(r->host.news, 0);
    samples(r, 1, 606000);
    assert_int_equal(r->host.news, 1);
}

static void test_cross_is_flat_where_it_may_not_be_short(void **state)
{
    (void)state;
    uint64_t id = 0;
    rig_t   *r  = rig("sma_cross", INSTRUMENT_SPOT, 0, NULL);
    samples(r, 20, 600000);
    samples(r, 10, 599000);
    assert_int_equal(r->host.news, 0);
    samples(r, 10, 602000);
    assert_non_null(working(r, 1, SIDE_BUY, &id));
    report(r, id, EXEC_TYPE_TRADE, 16);
    samples(r, 10, 599000);
    assert_int_equal(working(r, 1, SIDE_SELL, &id)->req.qty, 16);
    report(r, id, EXEC_TYPE_TRADE, 16);
    samples(r, 10, 598000);
    assert_int_equal(r->host.news, 2);
    r = rig("sma_cross", INSTRUMENT_LINEAR, 1, (strategy_param_t[]){{"short", 0}});
    samples(r, 20, 600000);
    samples(r, 10, 599000);
    assert_int_equal(r->host.news, 0);
}

static void test_cross_denials_make_no_storm(void **state)
{
    (void)state;
    rig_t *r     = rig("sma_cross", INSTRUMENT_LINEAR, 1, (strategy_param_t[]){{"cooldown_ms", 0}});
    r->host.deny = 162;
    samples(r, 20, 600000);
    samples(r, 60, 601000);
    assert_in_range(r->host.news, 4, 6);
}

/* ---- 5 ----------------------------------------------------------------------------------------------------------- */

/* The venue answers some open order in a way that it may. */
static void random_answer(rig_t *r)
{
    static const exec_type_t answers[] = {EXEC_TYPE_NEW,           EXEC_TYPE_NEW,           EXEC_TYPE_REPLACED,
                                          EXEC_TYPE_REPLACED,      EXEC_TYPE_CANCELED,      EXEC_TYPE_REJECTED,
                                          EXEC_TYPE_EXPIRED,       EXEC_TYPE_UNSENT,        EXEC_TYPE_TIMEOUT,
                                          EXEC_TYPE_CANCEL_REJECT, EXEC_TYPE_REPLACE_REJECT};
    if (r->host.order_count == 0) {
        return;
    }
    const uint64_t      id = r->host.order_count - rnd() % (r->host.order_count < 8 ? r->host.order_count : 8);
    const host_order_t *o  = host_order(&r->host, id);
    if (!o->open) {
        return;
    }
    if (rnd() % 2) {
        report(r, id, EXEC_TYPE_TRADE, rnd_in(1, o->req.qty - o->cum));
    } else {
        report(r, id, answers[rnd() % (sizeof answers / sizeof answers[0])], 0);
    }
}

static uint64_t random_life(rig_t *r, int steps, uint64_t seed)
{
    int64_t mid = 600000;
    rng_state   = seed;
    for (int i = 0; i < steps; i++) {
        const uint32_t id     = (uint32_t)rnd_in(1, 3);
        const uint32_t before = r->host.news + r->host.replaces + r->host.cancels;
        mid += rnd_in(-40, 40);
        pass(r, rnd_in(0, 400));
        r->host.deny = rnd() % 20 == 0 ? 271 : 0;
        switch (rnd() % 12) {
        case 0: feed(r, id, rnd() % 2 ? FEED_LIVE : FEED_BROKEN); break;
        case 1:
            if (r->ops->on_tick != NULL) {
                r->ops->on_tick(r->state, &r->ctx);
            }
            break;
        case 2:
        case 3:
        case 4:
        case 5: random_answer(r); break;
        default: book(r, id, mid - rnd_in(1, 9), mid + rnd_in(1, 9)); break;
        }
        assert_true(r->host.news + r->host.replaces + r->host.cancels - before <= STRATEGY_ACTIONS_MAX);
    }
    return r->host.trail;
}

static void test_random_life_and_copies_of_state(void **state)
{
    (void)state;
    static rig_t   copy;
    const uint64_t seed    = rng_state;
    const char    *names[] = {"market_maker", "sma_cross"};
    for (uint64_t run = 0; run < 40; run++) {
        const strategy_param_t quick[] = {{"sample_ms", 50}, {"slow", 3}, {"fast", 1}, {"cooldown_ms", 0}};
        rig_t                 *r       = rig(names[run % 2], INSTRUMENT_LINEAR, run % 2 ? 4 : 0, quick);
        rig_instrument(r, 2, INSTRUMENT_SPOT);
        rig_instrument(r, 3, INSTRUMENT_INVERSE);
        random_life(r, 1500, seed + run);
        assert_true(r->host.news > 5);
        copy          = *r; /* the state moves to other memory, with a host of its own */
        copy.ctx.host = &copy.host;
        assert_int_equal(random_life(r, 1500, seed + run + 1000), random_life(&copy, 1500, seed + run + 1000));
        assert_memory_equal(r->state, copy.state, r->ops->state_bytes);
    }
}

int main(void)
{
    const char *seed = getenv("HWAL_SEED");
    rng_state        = seed != NULL ? strtoull(seed, NULL, 0) : 20240808;
    printf("HWAL_SEED=%llu\n", (unsigned long long)rng_state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_life_and_copies_of_state),
        cmocka_unit_test(test_built_ins_are_found),
        cmocka_unit_test(test_settings_are_refused_by_name),
        cmocka_unit_test(test_size_by_hand),
        cmocka_unit_test(test_size_respects_notional_and_minimum),
        cmocka_unit_test(test_maker_quotes_both_sides_of_mid),
        cmocka_unit_test(test_maker_never_quotes_through_the_book),
        cmocka_unit_test(test_maker_stops_at_its_inventory),
        cmocka_unit_test(test_maker_does_not_sell_spot_short),
        cmocka_unit_test(test_maker_leaves_when_the_feed_breaks),
        cmocka_unit_test(test_maker_denials_make_no_storm),
        cmocka_unit_test(test_maker_rejections_make_no_storm),
        cmocka_unit_test(test_maker_asks_again_after_a_refused_replace),
        cmocka_unit_test(test_maker_ignores_reports_of_other_orders),
        cmocka_unit_test(test_maker_serves_sixteen_instruments),
        cmocka_unit_test(test_cross_follows_and_flips),
        cmocka_unit_test(test_probe_sends_one_order_a_book),
        cmocka_unit_test(test_cross_keeps_its_pause_and_band),
        cmocka_unit_test(test_cross_starts_again_after_a_gap),
        cmocka_unit_test(test_cross_is_flat_where_it_may_not_be_short),
        cmocka_unit_test(test_cross_denials_make_no_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
