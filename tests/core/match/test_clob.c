/* clob: exact price-time matching, against a slow obvious matcher that shares no code with it (an array of orders in
 * order of arrival, scanned for the best one each time; what is to be all or nothing is tried on a copy).
 *
 * Invariants   the same events in the same order, the same rest, the same answer to every call, with every kind of
 * order, icebergs and self-trade prevention; never crossed or touching; every level equal to the sum of what is visible
 * in it; the walk over a side is in order of priority; a refused call changes nothing; rows are stable; queue position
 * equals what stands before an order in the model; prices may lie anywhere; ids may be anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/match/clob.h"
#include "core/types/num.h"

#define ORDERS 300u
#define EVENTS 20000u

static uint64_t seed_start(void)
{
    const char    *text = getenv("HWAL_SEED");
    const uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 0x5eed0c10bULL;
    printf("seed %#llx (HWAL_SEED)\n", (unsigned long long)seed);
    return seed;
}

static uint64_t rng_state;
static uint64_t rng(uint64_t n) /* 0..n-1 */
{
    rng_state = rng_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (rng_state >> 33) % n;
}

/* ---- the model -------------------------------------------------------------------------------------------------- */

typedef struct model_order {
    uint64_t id;
    int      buy;
    int64_t  px, seen, unseen, display;
    uint32_t owner, row;
} model_order_t;

typedef struct model { /* in order of arrival; a replenished iceberg has just arrived */
    model_order_t orders[ORDERS + 1];
    size_t        count;
    int64_t       px_step;
} model_t;

typedef struct deal { /* of an incoming order */
    clob_event_t *events;
    size_t        count;
    int64_t       leaves;
    bool          rests, stopped, decremented, met;
} deal_t;

typedef struct model_taker {
    int      buys, limited;
    int64_t  limit;
    uint32_t owner;
    stp_t    stp;
} model_taker_t;

static void model_remove(model_t *m, size_t i)
{
    memmove(&m->orders[i], &m->orders[i + 1], (m->count - i - 1) * sizeof m->orders[0]);
    m->count--;
}

static size_t model_find(const model_t *m, uint64_t id)
{
    size_t i = 0;
    while (i < m->count && m->orders[i].id != id) {
        i++;
    }
    return i;
}

/* The order that is next to trade with a taker, count when none is. */
static size_t model_best(const model_t *m, const model_taker_t *t)
{
    size_t best = m->count;
    for (size_t i = 0; i < m->count; i++) {
        const model_order_t *o = &m->orders[i];
        if (o->buy == t->buys || (t->limited && (t->buys ? o->px > t->limit : o->px < t->limit))) {
            continue;
        }
        if (best == m->count || (t->buys ? o->px < m->orders[best].px : o->px > m->orders[best].px)) {
            best = i;
        }
    }
    return best;
}

static void deal_event(deal_t *d, const model_order_t *o, clob_kind_t kind, int64_t qty, int64_t leaves)
{
    assert_true(d->count < EVENTS);
    d->events[d->count++] = (clob_event_t){
        .maker_id = o->id, .px = o->px, .qty = qty, .maker_leaves_qty = leaves, .maker_row = o->row, .kind = kind};
}

/* One step of an order against the next one of its owner; false: it ends there. */
static bool model_own(model_t *m, const model_taker_t *t, size_t i, deal_t *d)
{
    model_order_t *o   = &m->orders[i];
    const int64_t  all = o->seen + o->unseen;
    if (t->stp == STP_DECREMENT) {
        const int64_t off = all < d->leaves ? all : d->leaves;
        deal_event(d, o, CLOB_STP_DECREMENT, off, all - off);
        d->decremented = true;
        d->leaves -= off;
        o->unseen -= off;
        if (o->unseen < 0) {
            o->seen += o->unseen;
            o->unseen = 0;
        }
        if (o->seen == 0) {
            model_remove(m, i);
        }
        return true;
    }
    if (t->stp != STP_CANCEL_NEWEST) {
        deal_event(d, o, CLOB_STP_CANCEL, all, 0);
        model_remove(m, i);
    }
    d->stopped = t->stp != STP_CANCEL_OLDEST;
    return !d->stopped;
}

/* Events into the deal until it is used up. The model is changed: work on a copy to try. */
static void model_take(model_t *m, const model_taker_t *t, deal_t *d)
{
    d->met = model_best(m, t) < m->count;
    for (size_t i; d->leaves > 0 && (i = model_best(m, t)) < m->count;) {
        model_order_t *o = &m->orders[i];
        if (t->stp != STP_NONE && t->owner != 0 && t->owner == o->owner) {
            if (!model_own(m, t, i, d)) {
                return;
            }
            continue;
        }
        const int64_t take = o->seen < d->leaves ? o->seen : d->leaves;
        o->seen -= take;
        d->leaves -= take;
        deal_event(d, o, CLOB_FILL, take, o->seen + o->unseen);
        if (o->seen == 0) {
            model_order_t again = *o;
            model_remove(m, i);
            if (again.unseen > 0) {
                again.seen = again.display < again.unseen ? again.display : again.unseen;
                again.unseen -= again.seen;
                m->orders[m->count++] = again;
                deal_event(d, &again, CLOB_REPLENISH, again.seen, again.seen + again.unseen);
            }
        }
    }
}

static int model_px_ok(const model_t *m, int64_t px)
{
    return px > -(1LL << 62) && px < 1LL << 62 && px % m->px_step == 0;
}

static void model_rest(model_t *m, model_order_t o, int64_t leaves)
{
    o.seen                = o.display > 0 && o.display < leaves ? o.display : leaves;
    o.unseen              = leaves - o.seen;
    m->orders[m->count++] = o;
}

static err_t model_submit(model_t *m, const clob_order_t *o, size_t cap, deal_t *d)
{
    static model_t      try;
    const int           limit = o->ord_type == ORD_TYPE_LIMIT;
    const model_taker_t t     = {.buys    = o->side == SIDE_BUY,
                                 .limited = limit || o->capped,
                                 .limit   = o->px,
                                 .owner   = o->owner,
                                 .stp     = (stp_t)o->stp};
    if (o->id == 0 || o->stp > STP_DECREMENT) {
        return ERR_ARG;
    }
    if (o->qty <= 0 || o->display_qty < 0 || (limit && !model_px_ok(m, o->px))) {
        return ERR_RANGE;
    }
    if (model_find(m, o->id) < m->count) {
        return ERR_EXISTS;
    }
    try       = *m;
    d->leaves = o->qty;
    model_take(&try, &t, d);
    d->rests = limit && (o->tif == TIF_GTC || o->tif == TIF_DAY) && d->leaves > 0 && !d->stopped;
    if (o->post_only && d->met) {
        return ERR_CROSSED;
    }
    if (o->tif == TIF_FOK && (d->leaves > 0 || d->decremented || d->stopped)) {
        d->leaves  = o->qty;
        d->count   = 0;
        d->stopped = false;
        return ERR_OK;
    }
    if (d->count > cap) {
        return ERR_FULL;
    }
    if (d->rests && try.count == ORDERS) {
        return ERR_LIMIT;
    }
    *m = try;
    if (d->rests) {
        model_rest(
            m, (model_order_t){.id = o->id, .buy = t.buys, .px = o->px, .display = o->display_qty, .owner = o->owner},
            d->leaves);
    }
    return ERR_OK;
}

static err_t model_replace(model_t *m, const clob_replace_t *c, size_t cap, deal_t *d)
{
    static model_t try;
    const size_t   i = model_find(m, c->id);
    if (i == m->count) {
        return ERR_NOT_FOUND;
    }
    if (c->leaves_qty <= 0 || !model_px_ok(m, c->px)) {
        return ERR_RANGE;
    }
    model_order_t *now = &m->orders[i];
    if (now->px == c->px && c->leaves_qty <= now->seen + now->unseen) {
        now->seen   = now->seen < c->leaves_qty ? now->seen : c->leaves_qty;
        now->unseen = c->leaves_qty - now->seen;
        d->leaves   = c->leaves_qty;
        d->rests    = true;
        return ERR_OK;
    }
    model_order_t       o = *now;
    const model_taker_t t = {.buys = o.buy, .limited = 1, .limit = c->px, .owner = o.owner, .stp = (stp_t)c->stp};
    try                   = *m;
    model_remove(&try, i);
    d->leaves = c->leaves_qty;
    model_take(&try, &t, d);
    d->rests = d->leaves > 0 && !d->stopped;
    if (c->post_only && d->met) {
        return ERR_CROSSED;
    }
    if (d->count > cap) {
        return ERR_FULL;
    }
    *m = try;
    if (d->rests) {
        o.px = c->px;
        model_rest(m, o, d->leaves);
    }
    return ERR_OK;
}

/* ---- comparing -------------------------------------------------------------------------------------------------- */

static void assert_same_order(const clob_t *clob, const model_t *m, const model_order_t *o)
{
    int64_t     ahead = 0;
    int64_t     level = 0;
    clob_rest_t rest;
    for (size_t k = 0; k < m->count; k++) {
        if (m->orders[k].buy == o->buy && m->orders[k].px == o->px) {
            ahead += &m->orders[k] < o ? m->orders[k].seen : 0;
            level += m->orders[k].seen;
        }
    }
    assert_true(clob_find(clob, o->id, &rest));
    assert_int_equal(rest.id, o->id);
    assert_int_equal(rest.side, o->buy ? SIDE_BUY : SIDE_SELL);
    assert_int_equal(rest.px, o->px);
    assert_int_equal(rest.leaves_qty, o->seen + o->unseen);
    assert_int_equal(rest.visible_qty, o->seen);
    assert_int_equal(rest.display_qty, o->display);
    assert_int_equal(rest.owner, o->owner);
    assert_int_equal(rest.row, o->row);
    assert_int_equal(clob_queue(clob, o->id), ahead);
    assert_int_equal(clob_qty_at(clob, rest.side, o->px), level);
    assert_int_equal(clob_qty_at(clob, rest.side == SIDE_BUY ? SIDE_SELL : SIDE_BUY, o->px), 0);
}

/* The walk over a side: every order of the model once, in order of priority, and the levels that they add up to. */
static void assert_same_side(const clob_t *clob, const model_t *m, side_t side)
{
    static level_t levels[ORDERS + 1];
    static model_t rest;
    const uint32_t level_count = clob_levels(clob, side, levels, ORDERS + 1);
    uint32_t       row         = clob_first(clob, side);
    uint32_t       level       = 0;
    uint32_t       seen        = 0;
    int64_t        qty         = 0;
    level_t        best;
    assert_int_equal(clob_best(clob, side, &best), level_count > 0);
    assert_memory_equal(&best, level_count > 0 ? &levels[0] : &(level_t){0}, sizeof best);
    rest = *m;
    for (size_t i; (i = model_best(&rest, &(model_taker_t){.buys = side == SIDE_SELL})) < rest.count; seen++) {
        const model_order_t o = rest.orders[i];
        assert_int_equal(row, o.row);
        assert_true(level < level_count);
        if (levels[level].px != o.px) {
            assert_int_equal(levels[level].qty, qty);
            level++;
            qty = 0;
        }
        assert_true(level < level_count && levels[level].px == o.px);
        qty += o.seen;
        row = clob_next(clob, row);
        model_remove(&rest, i);
    }
    assert_int_equal(row, CLOB_NONE);
    assert_int_equal(clob_count(clob, side), seen);
    assert_int_equal(level_count, seen > 0 ? level + 1 : 0);
    assert_true(seen == 0 || levels[level].qty == qty);
}

static void assert_same_book(const clob_t *clob, const model_t *m)
{
    level_t bid, ask;
    clob_best(clob, SIDE_BUY, &bid);
    clob_best(clob, SIDE_SELL, &ask);
    assert_true(bid.qty == 0 || ask.qty == 0 || bid.px < ask.px);
    for (size_t i = 0; i < m->count; i++) {
        assert_same_order(clob, m, &m->orders[i]);
    }
    assert_same_side(clob, m, SIDE_BUY);
    assert_same_side(clob, m, SIDE_SELL);
}

static void assert_same_deal(err_t got, err_t want, const clob_out_t *out, const deal_t *d)
{
    assert_string_equal(err_str(got), err_str(want));
    if (want != ERR_OK) {
        return;
    }
    assert_int_equal(out->count, d->count);
    assert_int_equal(out->leaves_qty, d->leaves);
    assert_int_equal(out->resting, d->rests);
    assert_int_equal(out->stopped, d->stopped);
    assert_int_equal(out->row == CLOB_NONE, !d->rests);
    for (size_t i = 0; i < d->count; i++) {
        assert_memory_equal(&out->events[i], &d->events[i], sizeof d->events[i]);
    }
}

/* ---- random flows ------------------------------------------------------------------------------------------------- */

typedef struct run {
    clob_cfg_t cfg;
    int64_t    mid;    /* in steps */
    uint64_t   spread; /* steps around it */
    uint64_t   jump;   /* a move of the middle is up to that many steps; 0 = it stays */
    unsigned   events;
} run_t;

static clob_event_t got_events[EVENTS], want_events[EVENTS];
static unsigned     seen_err[ERR_COUNT], seen_kind[CLOB_REPLENISH + 1], seen_stopped;

static clob_order_t random_order(uint64_t id, int64_t px, side_t side)
{
    static const uint8_t tifs[] = {TIF_GTC, TIF_GTC, TIF_GTC, TIF_DAY, TIF_IOC, TIF_FOK};
    const bool           big    = rng(15) == 0;
    clob_order_t         o      = {.id          = id,
                                   .px          = px,
                                   .qty         = (int64_t)rng(big ? 3000 : 40),
                                   .display_qty = rng(6) == 0 ? (int64_t)rng(12) : 0,
                                   .owner       = (uint32_t)rng(4),
                                   .side        = (uint8_t)side,
                                   .ord_type    = rng(8) == 0 ? ORD_TYPE_MARKET : ORD_TYPE_LIMIT,
                                   .tif         = tifs[rng(6)],
                                   .stp         = (uint8_t)rng(5),
                                   .post_only   = rng(10) == 0,
                                   .capped      = rng(2) == 0};
    if (o.ord_type == ORD_TYPE_MARKET && rng(20) == 0) {
        o.px = rng(2) == 0 ? INT64_MIN : INT64_MAX;
    }
    o.id          = rng(500) == 0 ? 0 : o.id;
    o.stp         = rng(500) == 0 ? 5 : o.stp;
    o.display_qty = rng(500) == 0 ? -1 : o.display_qty;
    return o;
}

static uint32_t random_cap(void)
{
    const uint64_t dice = rng(10);
    return dice == 0 ? (uint32_t)rng(6) : (dice == 1 ? EVENTS : (dice == 2 ? ORDERS : 64));
}

/* The row of what just came to rest is the book's choice; the model keeps it from then on. */
static void model_row(model_t *m, uint64_t id, const clob_out_t *out, bool is_new)
{
    model_order_t *o = &m->orders[model_find(m, id)];
    assert_true(out->row < ORDERS && (is_new || o->row == out->row));
    o->row = out->row;
}

static void run_event(clob_t *clob, model_t *m, uint64_t *ids, int64_t px, side_t side, uint64_t cancels)
{
    const uint64_t what = rng(100);
    const uint64_t some = m->count > 0 ? m->orders[rng(m->count)].id : 77;
    clob_out_t     out  = {.events = got_events, .cap = random_cap()};
    deal_t         d    = {.events = want_events};
    err_t          want;
    if (what < cancels) {
        const uint64_t id     = what == 0 ? *ids + 5 : some;
        const size_t   i      = model_find(m, id);
        int64_t        leaves = 0;
        want                  = i == m->count ? ERR_NOT_FOUND : ERR_OK;
        assert_string_equal(err_str(clob_cancel(clob, id, &leaves)), err_str(want));
        if (want == ERR_OK) {
            assert_int_equal(leaves, m->orders[i].seen + m->orders[i].unseen);
            model_remove(m, i);
        }
    } else if (what < cancels + 15) {
        const size_t         i = model_find(m, some);
        const clob_replace_t c = {.id         = some,
                                  .px         = i < m->count && rng(2) == 0 ? m->orders[i].px : px,
                                  .leaves_qty = (int64_t)rng(40),
                                  .stp        = (uint8_t)rng(5),
                                  .post_only  = rng(4) == 0};
        want                   = model_replace(m, &c, out.cap, &d);
        assert_same_deal(clob_replace(clob, &c, &out), want, &out, &d);
        if (want == ERR_OK && d.rests) {
            model_row(m, some, &out, false);
        }
    } else {
        const clob_order_t o = random_order(rng(60) == 0 ? some : ++*ids * 0x9E3779B97F4A7C15ULL, px, side);
        want                 = model_submit(m, &o, out.cap, &d);
        assert_same_deal(clob_submit(clob, &o, &out), want, &out, &d);
        if (want == ERR_OK && d.rests) {
            model_row(m, o.id, &out, true);
        }
    }
    seen_err[want]++;
    seen_stopped += want == ERR_OK && d.stopped;
    for (size_t i = 0; want == ERR_OK && i < d.count; i++) {
        seen_kind[d.events[i].kind]++;
    }
    if (want != ERR_OK || rng(7) == 0) {
        assert_same_book(clob, m);
    }
}

static void run_random(uint64_t seed, const run_t *run)
{
    static model_t m;
    clob_t        *clob = clob_new(aligned_alloc(clob_align(), clob_footprint(&run->cfg)), &run->cfg);
    int64_t        mid  = run->mid;
    uint64_t       ids  = 0;
    assert_non_null(clob);
    m         = (model_t){.px_step = run->cfg.px_step};
    rng_state = seed;
    memset(seen_err, 0, sizeof seen_err);
    memset(seen_kind, 0, sizeof seen_kind);
    seen_stopped = 0;
    for (unsigned event = 0; event < run->events; event++) {
        const bool   passive = event / 1000 % 2 == 0;
        const side_t side    = rng(2) == 0 ? SIDE_BUY : SIDE_SELL;
        int64_t      away    = (int64_t)rng(2 * run->spread) - (int64_t)run->spread;
        if (passive && rng(30) != 0 && (side == SIDE_BUY) == (away > 0)) {
            away = -away; /* mostly on its own side: the book fills up */
        }
        if (run->jump > 0 && rng(200) == 0) {
            mid = rng(4) == 0 ? -mid : mid + (int64_t)rng(2 * run->jump) - (int64_t)run->jump;
        }
        run_event(clob, &m, &ids, (mid + away) * run->cfg.px_step + (rng(50) == 0), side, passive ? 8 : 20);
    }
    assert_same_book(clob, &m);
    printf("  %u events: %u fills, %u+%u+%u by self-trade prevention, %u replenished; refused: crossed %u, full %u, "
           "limit %u, exists %u, range %u, not found %u\n",
           run->events, seen_kind[CLOB_FILL], seen_stopped, seen_kind[CLOB_STP_CANCEL], seen_kind[CLOB_STP_DECREMENT],
           seen_kind[CLOB_REPLENISH], seen_err[ERR_CROSSED], seen_err[ERR_FULL], seen_err[ERR_LIMIT],
           seen_err[ERR_EXISTS], seen_err[ERR_RANGE], seen_err[ERR_NOT_FOUND]);
    assert_true(seen_kind[CLOB_FILL] > run->events / 20);
    if (run->spread > 1 && !getenv("HWAL_SEED")) { /* a given seed need not reach the rarest refusal */
        assert_true(seen_err[ERR_CROSSED] > 0 && seen_err[ERR_FULL] > 0 && seen_err[ERR_EXISTS] > 0);
        assert_true(seen_stopped > 0 && seen_kind[CLOB_STP_CANCEL] > 0 && seen_kind[CLOB_STP_DECREMENT] > 0 &&
                    seen_kind[CLOB_REPLENISH] > 0);
    }
    free(clob);
}

static unsigned run_length(unsigned events)
{
    return getenv("HWAL_SOAK") != NULL ? 10 * events : (getenv("HWAL_QUICK") != NULL ? events / 4 : events);
}

static void test_clob_equals_slow_matcher(void **state)
{
    (void)state;
    const uint64_t   seed   = seed_start();
    const clob_cfg_t cfg    = {.px_step = 1, .orders_max = ORDERS, .window_ticks = 256};
    const clob_cfg_t wide   = {.px_step = 5, .orders_max = ORDERS, .window_ticks = 4096};
    const clob_cfg_t ten    = {.px_step = 10, .orders_max = ORDERS, .window_ticks = 1024};
    const run_t      runs[] = {
             {.cfg = cfg, .mid = 0, .spread = 30, .events = 20000},
             {.cfg = wide, .mid = 100000, .spread = 1 << 17, .events = 20000},
             {.cfg = ten, .mid = 2500, .spread = 2505, .events = 20000},
             {.cfg = cfg, .mid = 7, .spread = 1, .events = 5000},
             {.cfg = cfg, .mid = 0, .spread = 40, .jump = 300, .events = 20000},       /* the window follows */
             {.cfg = ten, .mid = 100, .spread = 40, .jump = 1 << 20, .events = 20000}, /* and starts anew */
             {.cfg = cfg, .mid = (1LL << 61) + 5, .spread = 60, .jump = 1 << 20, .events = 20000}, /* and changes its sign */
             {.cfg = cfg, .mid = (1LL << 62) - 20, .spread = 40, .events = 10000}, /* some are out of range */
    };
    for (unsigned i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        run_t run  = runs[i];
        run.events = run_length(run.events);
        run_random(seed + i, &run);
    }
}

static void test_clob_refuses_bad_cfg(void **state)
{
    (void)state;
    const clob_cfg_t good  = {.px_step = 1, .orders_max = 10, .window_ticks = 256};
    clob_cfg_t       cfg[] = {good, good, good, good, good, good};
    cfg[0].window_ticks    = 0;
    cfg[1].window_ticks    = 300;
    cfg[2].orders_max      = 0;
    cfg[3].orders_max      = CLOB_ORDERS_MAX + 1;
    cfg[4].px_step         = 0;
    cfg[5].px_step         = -5;
    assert_true(clob_footprint(&good) > 0);
    for (size_t i = 0; i < sizeof cfg / sizeof cfg[0]; i++) {
        assert_int_equal(clob_footprint(&cfg[i]), 0);
        assert_null(clob_new(NULL, &cfg[i]));
        assert_true(strlen(err_msg()) > 10);
    }
}

/* ---- by hand ------------------------------------------------------------------------------------------------------ */

static clob_event_t hand_events[64];
static clob_out_t   hand = {.events = hand_events, .cap = 64};

static clob_t *hand_book(void)
{
    const clob_cfg_t cfg = {.px_step = 1, .orders_max = 16, .window_ticks = 256};
    hand                 = (clob_out_t){.events = hand_events, .cap = 64};
    return clob_new(aligned_alloc(clob_align(), clob_footprint(&cfg)), &cfg);
}

static err_t hand_limit(clob_t *clob, uint64_t id, side_t side, int64_t px, int64_t qty, uint32_t owner, stp_t stp)
{
    return clob_submit(clob,
                       &(clob_order_t){.id       = id,
                                       .px       = px,
                                       .qty      = qty,
                                       .owner    = owner,
                                       .stp      = (uint8_t)stp,
                                       .side     = (uint8_t)side,
                                       .ord_type = ORD_TYPE_LIMIT,
                                       .tif      = TIF_GTC},
                       &hand);
}

static void assert_hand(unsigned i, clob_kind_t kind, uint64_t maker_id, int64_t qty, int64_t leaves)
{
    assert_true(i < hand.count);
    assert_int_equal(hand_events[i].kind, kind);
    assert_int_equal(hand_events[i].maker_id, maker_id);
    assert_int_equal(hand_events[i].qty, qty);
    assert_int_equal(hand_events[i].maker_leaves_qty, leaves);
}

/* Cases that other engines got wrong. */
static void test_clob_priority_by_hand(void **state)
{
    (void)state;
    clob_t *clob = hand_book();
    int64_t leaves;
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(hand_limit(clob, id, SIDE_SELL, 100, 10, 0, STP_NONE), ERR_OK);
    }
    /* quantity down keeps the place; a part fill does, too */
    clob_replace_t change = {.id = 1, .px = 100, .leaves_qty = 4};
    assert_int_equal(clob_replace(clob, &change, &hand), ERR_OK);
    assert_int_equal(clob_queue(clob, 2), 4);
    clob_order_t o = {.id = 9, .px = 105, .qty = 2, .side = SIDE_BUY, .ord_type = ORD_TYPE_LIMIT, .tif = TIF_IOC};
    assert_int_equal(clob_submit(clob, &o, &hand), ERR_OK);
    assert_hand(0, CLOB_FILL, 1, 2, 2);
    assert_int_equal(hand_events[0].px, 100); /* the price of the resting order */
    assert_int_equal(clob_queue(clob, 2), 2);
    /* quantity up loses it; the cancel of the middle one loses nobody */
    change.leaves_qty = 20;
    assert_int_equal(clob_replace(clob, &change, &hand), ERR_OK);
    assert_int_equal(clob_queue(clob, 1), 20);
    assert_int_equal(clob_cancel(clob, 3, &leaves), ERR_OK);
    o.id     = 10;
    o.qty    = 100;
    hand.cap = 1; /* two fills do not fit: nothing happens */
    assert_int_equal(clob_submit(clob, &o, &hand), ERR_FULL);
    assert_int_equal(clob_qty_at(clob, SIDE_SELL, 100), 30);
    hand.cap = 2;
    assert_int_equal(clob_submit(clob, &o, &hand), ERR_OK);
    assert_int_equal(hand.count, 2);
    assert_hand(0, CLOB_FILL, 2, 10, 0);
    assert_hand(1, CLOB_FILL, 1, 20, 0);
    assert_int_equal(hand.leaves_qty, 70);
    assert_false(hand.resting);
    assert_int_equal(clob_cancel(clob, 1, &leaves), ERR_NOT_FOUND); /* a filled order is gone from the index */
    assert_int_equal(clob_cancel(clob, 10, &leaves), ERR_NOT_FOUND);
    free(clob);
}

static void test_clob_self_trade_by_hand(void **state)
{
    (void)state;
    static const struct {
        stp_t   stp;
        int64_t qty;          /* of a buyer, owner 7, against asks of 7: 10, 8: 10 at one price */
        int64_t leaves, asks; /* that are left of it and of them */
        bool    resting, stopped;
    } cases[] = {
        {STP_NONE, 12, 0, 8, false, false},         {STP_CANCEL_NEWEST, 12, 12, 20, false, true},
        {STP_CANCEL_OLDEST, 12, 2, 0, true, false}, {STP_CANCEL_BOTH, 12, 12, 10, false, true},
        {STP_DECREMENT, 4, 0, 16, false, false},    {STP_DECREMENT, 25, 5, 0, true, false},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        clob_t *clob = hand_book();
        hand_limit(clob, 1, SIDE_SELL, 100, 10, 7, STP_NONE);
        hand_limit(clob, 2, SIDE_SELL, 100, 10, 8, STP_NONE);
        assert_int_equal(hand_limit(clob, 3, SIDE_BUY, 100, cases[i].qty, 7, cases[i].stp), ERR_OK);
        assert_int_equal(hand.leaves_qty, cases[i].leaves);
        assert_int_equal(hand.resting, cases[i].resting);
        assert_int_equal(hand.stopped, cases[i].stopped);
        assert_int_equal(clob_qty_at(clob, SIDE_SELL, 100), cases[i].asks);
        free(clob);
    }
    /* nobody is not equal to nobody */
    clob_t *clob = hand_book();
    hand_limit(clob, 1, SIDE_SELL, 100, 10, 0, STP_NONE);
    hand_limit(clob, 2, SIDE_BUY, 100, 10, 0, STP_CANCEL_BOTH);
    assert_hand(0, CLOB_FILL, 1, 10, 0);
    free(clob);
}

/* Thin slices of an iceberg in a long queue: counting what a taker causes goes through the queue a few times, not once a
 * slice (that would be minutes here). Exactly as many events as are due are room enough. */
static void test_clob_counts_slices_at_once(void **state)
{
    (void)state;
    const uint32_t   n      = 1u << 18;
    const clob_cfg_t cfg    = {.px_step = 1, .orders_max = n + 2, .window_ticks = 256};
    clob_t          *clob   = clob_new(aligned_alloc(clob_align(), clob_footprint(&cfg)), &cfg);
    clob_event_t    *events = calloc(3 * (size_t)n, sizeof *events);
    clob_out_t       out    = {.events = events, .cap = 3 * n};
    clob_order_t     o      = {.px = 100, .qty = 1, .side = SIDE_SELL, .ord_type = ORD_TYPE_LIMIT, .tif = TIF_GTC};
    for (o.id = 1; o.id <= n; o.id++) {
        assert_int_equal(clob_submit(clob, &o, &out), ERR_OK);
    }
    o.qty         = n;
    o.display_qty = 1;
    assert_int_equal(clob_submit(clob, &o, &out), ERR_OK);
    o       = (clob_order_t){.id = n + 2, .px = 100, .side = SIDE_BUY, .ord_type = ORD_TYPE_LIMIT, .tif = TIF_IOC};
    o.qty   = 2 * n - 2; /* all but two slices, one of which shows up */
    out.cap = 3 * n - 5;
    assert_int_equal(clob_submit(clob, &o, &out), ERR_FULL);
    out.cap++;
    assert_int_equal(clob_submit(clob, &o, &out), ERR_OK);
    assert_int_equal(out.count, out.cap);
    assert_int_equal(clob_qty_at(clob, SIDE_SELL, 100), 1);
    free(events);
    free(clob);
}

static void test_clob_iceberg_by_hand(void **state)
{
    (void)state;
    clob_t      *clob = hand_book();
    clob_order_t ice  = {.id          = 1,
                         .px          = 100,
                         .qty         = 25,
                         .display_qty = 10,
                         .side        = SIDE_SELL,
                         .ord_type    = ORD_TYPE_LIMIT,
                         .tif         = TIF_GTC};
    assert_int_equal(clob_submit(clob, &ice, &hand), ERR_OK);
    hand_limit(clob, 2, SIDE_SELL, 100, 5, 0, STP_NONE);
    assert_int_equal(clob_qty_at(clob, SIDE_SELL, 100), 15); /* hidden quantity is not in the level */
    clob_order_t o = {.id = 9, .px = 100, .qty = 41, .side = SIDE_BUY, .ord_type = ORD_TYPE_LIMIT, .tif = TIF_FOK};
    assert_int_equal(clob_submit(clob, &o, &hand), ERR_OK);
    assert_int_equal(hand.leaves_qty, 41); /* 30 is all there is */
    o.qty = 10;
    assert_int_equal(clob_submit(clob, &o, &hand), ERR_OK);
    assert_int_equal(hand.count, 2);
    assert_hand(0, CLOB_FILL, 1, 10, 15);
    assert_hand(1, CLOB_REPLENISH, 1, 10, 15); /* behind the other order now */
    assert_int_equal(clob_queue(clob, 1), 5);
    o.qty = 20; /* all of it: hidden quantity counts */
    assert_int_equal(clob_submit(clob, &o, &hand), ERR_OK);
    assert_int_equal(hand.count, 4);
    assert_hand(0, CLOB_FILL, 2, 5, 0);
    assert_hand(1, CLOB_FILL, 1, 10, 5);
    assert_hand(2, CLOB_REPLENISH, 1, 5, 5);
    assert_hand(3, CLOB_FILL, 1, 5, 0);
    assert_int_equal(clob_count(clob, SIDE_SELL), 0);
    free(clob);
}

/* ---- ids ---------------------------------------------------------------------------------------------------------- */

/* The hash of the index, as clob.c has it: to find ids that collide. */
static uint32_t hash_of(uint64_t id)
{
    const u128_t   product = (u128_t)(id ^ 0x9E3779B97F4A7C15ULL) * 0xD6E8FEB86659FD93ULL;
    const uint64_t fold    = (uint64_t)product ^ (uint64_t)(product >> 64);
    return (uint32_t)(fold ^ fold >> 32);
}

/* Fill the book with ids, then take them out in another order, looking for all of them each time. */
static void ids_live(const uint64_t *ids)
{
    const clob_cfg_t cfg  = {.px_step = 1, .orders_max = ORDERS, .window_ticks = 256};
    clob_t          *clob = clob_new(aligned_alloc(clob_align(), clob_footprint(&cfg)), &cfg);
    hand                  = (clob_out_t){.events = hand_events, .cap = 64};
    for (unsigned i = 0; i < ORDERS; i++) {
        assert_int_equal(hand_limit(clob, ids[i], SIDE_BUY, (int64_t)i % 7, 1 + i, 0, STP_NONE), ERR_OK);
        assert_int_equal(hand_limit(clob, ids[i], SIDE_BUY, 1, 1, 0, STP_NONE), ERR_EXISTS);
    }
    for (unsigned gone = 0; gone < ORDERS; gone++) { /* 7 has no divisor in common with ORDERS */
        int64_t leaves;
        assert_int_equal(clob_cancel(clob, ids[gone * 7 % ORDERS], &leaves), ERR_OK);
        assert_int_equal(leaves, 1 + gone * 7 % ORDERS);
        for (unsigned i = 0; i < ORDERS; i++) {
            clob_rest_t rest;
            assert_int_equal(clob_find(clob, ids[i * 7 % ORDERS], &rest), i > gone);
            assert_true(i <= gone || rest.leaves_qty == 1 + i * 7 % ORDERS);
        }
    }
    free(clob);
}

static int by_hash(const void *a, const void *b)
{
    const uint32_t x = hash_of(*(const uint64_t *)a);
    const uint32_t y = hash_of(*(const uint64_t *)b);
    return (x > y) - (x < y);
}

static void test_clob_takes_any_ids(void **state)
{
    (void)state;
    static uint64_t ids[ORDERS], many[1 << 18];
    for (unsigned shift = 0; shift < 55; shift += 9) {
        for (unsigned i = 0; i < ORDERS; i++) {
            ids[i] = (uint64_t)(i + 1) << shift;
        }
        ids_live(ids);
    }
    for (uint64_t id = 1, i = 0; i < ORDERS; id++) { /* all of them want one and the same bucket of 1024 */
        if (hash_of(id) % 1024 == 1023) {
            ids[i++] = id;
        }
    }
    ids_live(ids);
    for (unsigned i = 0; i < sizeof many / sizeof many[0]; i++) { /* pairs with one and the same hash */
        many[i] = UINT64_MAX - i;
    }
    qsort(many, sizeof many / sizeof many[0], sizeof many[0], by_hash);
    unsigned same = 0;
    for (unsigned i = 1; i < sizeof many / sizeof many[0] && same + 2 <= ORDERS; i++) {
        if (hash_of(many[i]) == hash_of(many[i - 1])) {
            ids[same++] = many[i - 1];
            ids[same++] = many[i];
            i++;
        }
    }
    printf("  %u ids in pairs of one hash\n", same);
    assert_true(same >= 2);
    ids_live(ids);
}

/* On a book that has no level yet, too, where the window is not anywhere in particular. */
static void test_clob_refuses_prices_between_ticks(void **state)
{
    (void)state;
    static const int64_t middles[] = {0, (1LL << 62) - 1400, -(1LL << 62) + 1400, 1LL << 61, -(1LL << 61)};
    const clob_cfg_t     cfg       = {.px_step = 5, .orders_max = ORDERS, .window_ticks = 256};
    clob_t              *clob      = clob_new(aligned_alloc(clob_align(), clob_footprint(&cfg)), &cfg);
    clob_event_t         events[ORDERS];
    for (unsigned i = 0; i < sizeof middles / sizeof middles[0]; i++) {
        for (int64_t px = middles[i] - 1399; px < middles[i] + 1400; px++) {
            for (unsigned side = SIDE_BUY; side <= SIDE_SELL; side++) {
                clob_out_t         out   = {.events = events, .cap = ORDERS};
                const clob_order_t order = {
                    .id = 1, .px = px, .qty = 1, .side = (uint8_t)side, .ord_type = ORD_TYPE_LIMIT, .tif = TIF_IOC};
                assert_int_equal(clob_submit(clob, &order, &out), px % 5 == 0 ? ERR_OK : ERR_RANGE);
            }
        }
    }
    free(clob);
}

/* Whatever it is asked for, and in whichever round, no byte of the book changes and nothing outside is read. */
static void test_clob_prefetch_changes_nothing(void **state)
{
    (void)state;
    rng_state              = seed_start();
    const clob_cfg_t cfg   = {.px_step = 5, .orders_max = 64, .window_ticks = 256};
    const size_t     bytes = clob_footprint(&cfg);
    clob_t          *clob  = clob_new(aligned_alloc(clob_align(), bytes), &cfg);
    void            *copy  = malloc(bytes);
    clob_event_t     events[128];
    for (unsigned i = 0; i < 4000; i++) {
        const clob_order_t order  = {.id       = 1 + rng(200),
                                     .px       = rng(9) == 0 ? (int64_t)(rng(1u << 31) << 31) - (1LL << 61)
                                                             : 5 * (int64_t)rng(90),
                                     .qty      = 1 + (int64_t)rng(9),
                                     .side     = (uint8_t)rng(4),
                                     .ord_type = ORD_TYPE_LIMIT,
                                     .tif      = TIF_GTC};
        int64_t            leaves = 0;
        clob_out_t         out    = {.events = events, .cap = 128};
        memcpy(copy, clob, bytes);
        for (unsigned round = 0; round < CLOB_PREFETCH_ROUNDS; round++) {
            clob_prefetch(clob, order.id, (side_t)order.side, order.px, round);
        }
        assert_memory_equal(copy, clob, bytes);
        (void)(rng(2) == 0 ? clob_submit(clob, &order, &out) : clob_cancel(clob, order.id, &leaves));
    }
    free(copy);
    free(clob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clob_refuses_bad_cfg),          cmocka_unit_test(test_clob_priority_by_hand),
        cmocka_unit_test(test_clob_self_trade_by_hand),       cmocka_unit_test(test_clob_iceberg_by_hand),
        cmocka_unit_test(test_clob_counts_slices_at_once),    cmocka_unit_test(test_clob_takes_any_ids),
        cmocka_unit_test(test_clob_equals_slow_matcher),      cmocka_unit_test(test_clob_refuses_prices_between_ticks),
        cmocka_unit_test(test_clob_prefetch_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
