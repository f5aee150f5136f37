/* matcher: the market of one instrument, against a slow, obvious one (tests/lib/match_model.h) and by hand.
 *
 * Invariants   after every call of a random flow: the same reports, feed entries and trades; the same orders in the same
 * queues; the same positions, last price, next term; a mbo_t fed with the entries equals matcher_picture. leaves = order -
 * cum while an order is open, and what both sides of all trades filled is the same. A call without room changes no byte;
 * a call in pieces (ERR_AGAIN) says the same as one with room; a copy of the block goes on like the original. No
 * reduce-only order lets a position grow or turn round (the model asserts it trade by trade).
 * By hand      each order type; self-trade prevention by mode and time in force; icebergs; cascades; phases; terms;
 * reduce-only; every code of the door. Each of these runs through the model too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/book/mbo.h"
#include "core/match/matcher.h"
#include "tests/lib/match_model.h"
#include "tests/lib/seeded.h"

#define IDS_KEPT 64

typedef enum what { SUBMIT, REPLACE, CANCEL, CANCEL_OWNER, EXPIRE, ENTER, PRINT, POSITION } what_t;

typedef struct op {
    what_t           what;
    matcher_order_t  order;
    matcher_change_t change;
    uint64_t         id;
    uint32_t         owner;
    matcher_phase_t  phase;
    int64_t          qty; /* POSITION; PRINT: the price */
} op_t;

typedef struct world {
    instrument_t     ins;
    matcher_cfg_t    cfg;
    matcher_t       *m;
    mbo_t           *mbo;   /* fed with the entries */
    mbo_t           *fresh; /* built from a picture */
    size_t           bytes;
    model_market_t   model;
    matcher_out_t    all; /* what the last call put out, pieces strung together */
    matcher_report_t reports[MODEL_OUT];
    mbo_entry_t      entries[MODEL_OUT];
    trade_t          trades[MODEL_OUT];
    bool             pieces; /* give each call just the room that it asks for */
    uint64_t         rng;
    int64_t          ts_ns;
    uint64_t         calls;
    uint64_t         again;
    int64_t          bought, sold;
    uint64_t         execs[256];
    uint64_t         reasons[16];
    uint64_t         codes[2048];
    char             text[4096];
} world_t;

static uint64_t rnd(world_t *w, uint64_t n)
{
    return seeded_next(&w->rng) % n;
}

/* ---- the world -------------------------------------------------------------------------------------------------- */

static void *block(size_t align, size_t bytes)
{
    void *mem = NULL;
    MUST(posix_memalign(&mem, align, bytes) == 0);
    return mem;
}

static mbo_t *book_new(uint32_t orders_max)
{
    const mbo_cfg_t cfg = {.orders_max = orders_max, .levels_max = orders_max};
    mbo_t          *mbo = mbo_new(block(mbo_align(), mbo_footprint(&cfg)), &cfg);
    MUST(mbo != NULL);
    mbo_clear(mbo);
    MUST(mbo_feed(mbo, FEED_LIVE, FEED_REASON_NONE) == ERR_OK);
    return mbo;
}

static world_t *world_new(const matcher_cfg_t *cfg, const instrument_def_t *changes)
{
    world_t               *w       = calloc(1, sizeof *w);
    const tick_band_t      bands[] = {{.px_from = 0, .tick = 5}, {.px_from = 1000, .tick = 10}};
    const instrument_def_t def     = {.instrument_id  = 7,
                                      .kind           = INSTRUMENT_LINEAR,
                                      .settle_ccy     = ccy_pack("USDT"),
                                      .mult           = 1,
                                      .lot            = changes->lot,
                                      .min_qty        = changes->min_qty,
                                      .min_notional   = changes->min_notional,
                                      .allow_negative = changes->allow_negative,
                                      .band_lower     = changes->band_lower,
                                      .band_upper     = changes->band_upper};
    MUST(instrument_init(&w->ins, &def, "TEST", bands, 2) == ERR_OK);
    w->cfg   = *cfg;
    w->bytes = matcher_footprint(cfg);
    w->m     = matcher_new(block(matcher_align(), w->bytes), cfg, &w->ins);
    w->mbo   = book_new(cfg->orders_max);
    w->fresh = book_new(cfg->orders_max);
    w->ts_ns = 1000;
    model_market_init(&w->model, cfg, &w->ins);
    return w;
}

static void world_free(world_t *w)
{
    free(w->m);
    free(w->mbo);
    free(w->fresh);
    free(w);
}

static void world_book_feed(mbo_t *mbo, const mbo_entry_t *e)
{
    err_t err = ERR_ARG;
    switch (e->action) {
    case MBO_ADD: err = mbo_add(mbo, e->order_id, (side_t)e->side, e->px, e->qty); break;
    case MBO_MODIFY: err = mbo_modify(mbo, e->order_id, e->px, e->qty); break;
    case MBO_CANCEL:
    case MBO_FILL: err = mbo_reduce(mbo, e->order_id, e->qty); break;
    default: break;
    }
    if (err != ERR_OK) {
        fprintf(stderr, "feed: %s\n", err_msg());
    }
    assert_int_equal(err, ERR_OK);
}

static err_t call(const world_t *w, const op_t *op, matcher_out_t *out)
{
    switch (op->what) {
    case SUBMIT: return matcher_submit(w->m, &op->order, w->ts_ns, out);
    case REPLACE: return matcher_replace(w->m, &op->change, w->ts_ns, out);
    case CANCEL: return matcher_cancel(w->m, op->id, w->ts_ns, out);
    case CANCEL_OWNER: return matcher_cancel_owner(w->m, op->owner, w->ts_ns, out);
    case EXPIRE: return matcher_expire(w->m, w->ts_ns, out);
    case ENTER: return matcher_enter(w->m, op->phase, w->ts_ns, out);
    case PRINT: return matcher_print(w->m, op->qty, w->ts_ns, out);
    default: return matcher_set_position(w->m, op->owner, op->qty, w->ts_ns, out);
    }
}

/* What goes on after ERR_AGAIN: queued orders by matcher_run, a list by the same call. */
static err_t go_on(const world_t *w, const op_t *op, matcher_out_t *out)
{
    const bool list =
        op->what == CANCEL_OWNER || op->what == EXPIRE || (op->what == ENTER && op->phase == MATCHER_CLOSED);
    if (!list) {
        matcher_out_t none  = {0};
        const op_t    other = {.what = PRINT, .qty = 1000};
        assert_int_equal(call(w, &other, out), ERR_STATE);
        assert_int_equal(matcher_run(w->m, w->ts_ns, &none), ERR_FULL);
    }
    return list ? call(w, op, out) : matcher_run(w->m, w->ts_ns, out);
}

static void world_call(world_t *w, const op_t *op)
{
    const matcher_room_t room = matcher_room(w->m);
    err_t                err  = ERR_AGAIN;
    w->all                    = (matcher_out_t){.reports = w->reports, .entries = w->entries, .trades = w->trades};
    for (bool first = true; err == ERR_AGAIN; first = false) {
        w->all.report_cap = w->pieces ? w->all.report_count + room.reports : MODEL_OUT;
        w->all.entry_cap  = w->pieces ? w->all.entry_count + room.entries : MODEL_OUT;
        w->all.trade_cap  = w->pieces ? w->all.trade_count + room.trades : MODEL_OUT;
        err               = first ? call(w, op, &w->all) : go_on(w, op, &w->all);
        w->again += err == ERR_AGAIN;
    }
    if (err != ERR_OK) {
        fprintf(stderr, "call %llu: %s: %s\n", (unsigned long long)w->calls, err_str(err), err_msg());
    }
    assert_int_equal(err, ERR_OK);
}

static void model_call(world_t *w, const op_t *op)
{
    model_market_t *m = &w->model;
    model_market_reset(m);
    switch (op->what) {
    case SUBMIT: model_market_submit(m, &op->order, w->ts_ns); break;
    case REPLACE: model_market_replace(m, &op->change, w->ts_ns); break;
    case CANCEL: model_market_cancel(m, op->id, w->ts_ns); break;
    case CANCEL_OWNER: model_market_cancel_owner(m, op->owner, w->ts_ns); break;
    case EXPIRE: model_market_expire(m, w->ts_ns); break;
    case ENTER: model_market_enter(m, op->phase, w->ts_ns); break;
    case PRINT: model_market_print(m, op->qty, w->ts_ns); break;
    default: model_market_set_position(m, op->owner, op->qty, w->ts_ns);
    }
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

/* N1 new, J1#13 rejected, K, Q refused cancel, replace, R1 replaced, T1 triggered, D1-3s restated, X1-7i canceled, E1-7d
 * expired, F1m5@1000 trade. Then the feed: +1:5@1000 =1:5@1000 -1:5 *1:5 for add, modify, cancel, fill. */
static const char *say(world_t *w, const matcher_out_t *out)
{
    static const char reasons[] = ".rmifsoxdg";
    char             *at        = w->text;
    char *const       end       = w->text + sizeof w->text;
    *at                         = '\0';
    for (uint32_t i = 0; i < out->report_count && at < end - 100; i++) {
        const matcher_report_t  *r  = &out->reports[i];
        const unsigned long long id = r->id;
        const long long          q  = r->last_qty;
        at += sprintf(at, "%s", at == w->text ? "" : " ");
        switch ((matcher_exec_t)r->exec) {
        case MATCHER_NEW: at += sprintf(at, "N%llu", id); break;
        case MATCHER_REJECTED: at += sprintf(at, "J%llu#%u", id, r->code); break;
        case MATCHER_CANCEL_REJECT: at += sprintf(at, "K%llu#%u", id, r->code); break;
        case MATCHER_REPLACE_REJECT: at += sprintf(at, "Q%llu#%u", id, r->code); break;
        case MATCHER_REPLACED: at += sprintf(at, "R%llu", id); break;
        case MATCHER_TRIGGERED: at += sprintf(at, "T%llu", id); break;
        case MATCHER_RESTATED: at += sprintf(at, "D%llu-%lld%c", id, q, reasons[r->reason]); break;
        case MATCHER_CANCELED:
            at += sprintf(at, "X%llu-%lld%c", id, q, reasons[r->reason]);
            at += r->code != 0 ? sprintf(at, "#%u", r->code) : 0;
            break;
        case MATCHER_EXPIRED: at += sprintf(at, "E%llu-%lld%c", id, q, reasons[r->reason]); break;
        case MATCHER_TRADE:
            at += sprintf(at, "F%llu%c%lld@%lld", id, r->liquidity == LIQUIDITY_MAKER ? 'm' : 't', q,
                          (long long)r->last_px);
            break;
        }
    }
    for (uint32_t i = 0; i < out->entry_count && at < end - 100; i++) {
        const mbo_entry_t *e = &out->entries[i];
        at += sprintf(at, " %c%llu:%lld", ".+=-*"[e->action], (unsigned long long)e -> order_id, (long long)e -> qty);
        at += e->action <= MBO_MODIFY ? sprintf(at, "@%lld", (long long)e->px) : 0;
    }
    return w->text;
}

/* ---- comparing -------------------------------------------------------------------------------------------------- */

static void assert_same_book(world_t *w)
{
    static const model_order_t *side_orders[MODEL_ORDERS];
    const clob_t               *clob = matcher_book(w->m);
    const model_market_t       *m    = &w->model;
    for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
        const uint32_t count = model_market_side(m, side, side_orders);
        uint32_t       row   = clob_first(clob, side);
        level_t        best;
        clob_best(clob, side, &best);
        assert_int_equal(best.px, count == 0 ? 0 : side_orders[0]->o.px);
        assert_int_equal(clob_count(clob, side), count);
        for (uint32_t i = 0; i < count; i++, row = clob_next(clob, row)) {
            clob_rest_t rest;
            assert_true(row != CLOB_NONE);
            clob_at(clob, row, &rest);
            assert_int_equal(rest.px, side_orders[i]->o.px);
            assert_int_equal(rest.visible_qty, side_orders[i]->visible_qty);
            assert_int_equal(rest.leaves_qty, side_orders[i]->o.qty - side_orders[i]->cum_qty);
        }
        assert_true(row == CLOB_NONE);
    }
    assert_int_equal(matcher_open(w->m), m->now.count);
    for (uint32_t i = 0; i < m->now.count; i++) {
        const model_order_t *x = &m->now.orders[i];
        matcher_rest_t       rest;
        assert_true(matcher_find(w->m, x->o.id, &rest));
        assert_int_equal(rest.stand, x->stand);
        assert_int_equal(rest.px, x->o.px);
        assert_int_equal(rest.stop_px, x->o.stop_px);
        assert_int_equal(rest.order_qty, x->o.qty);
        assert_int_equal(rest.cum_qty, x->cum_qty);
        assert_int_equal(rest.owner, x->o.owner);
        assert_int_equal(rest.side, x->o.side);
    }
    for (uint32_t owner = 0; owner <= w->cfg.owners_max; owner++) {
        assert_int_equal(matcher_position(w->m, owner), m->now.position[owner]);
    }
    int64_t last;
    assert_int_equal(matcher_last(w->m, &last), m->now.has_last);
    assert_int_equal(last, m->now.last_px);
    assert_int_equal(matcher_phase(w->m), m->now.phase);
    assert_int_equal(matcher_due_ns(w->m), model_market_due_ns(m));
}

static void assert_same_picture(world_t *w)
{
    static mbo_entry_t entries[MODEL_ORDERS];
    uint32_t           count = 0;
    assert_int_equal(matcher_picture(w->m, entries, w->cfg.orders_max, &count), ERR_OK);
    if (count > 0) {
        uint32_t none;
        assert_int_equal(matcher_picture(w->m, entries, count - 1, &none), ERR_FULL);
    }
    mbo_clear(w->fresh);
    for (uint32_t i = 0; i < count; i++) {
        world_book_feed(w->fresh, &entries[i]);
    }
    assert_int_equal(mbo_feed(w->fresh, FEED_LIVE, FEED_REASON_NONE), ERR_OK);
    assert_true(mbo_hash(1, w->fresh) == mbo_hash(1, w->mbo));
    assert_false(mbo_crossed(w->mbo));
}

static void assert_same_out(world_t *w)
{
    const model_state_t *want = &w->model.now;
    const matcher_out_t  all  = {.reports      = w->model.reports,
                                 .report_count = want->report_count,
                                 .entries      = w->model.entries,
                                 .entry_count  = want->entry_count};
    const bool           same = w->all.report_count == want->report_count && w->all.entry_count == want->entry_count &&
                      w->all.trade_count == want->trade_count &&
                      memcmp(w->reports, w->model.reports, want->report_count * sizeof w->reports[0]) == 0 &&
                      memcmp(w->entries, w->model.entries, want->entry_count * sizeof w->entries[0]) == 0 &&
                      memcmp(w->trades, w->model.trades, want->trade_count * sizeof w->trades[0]) == 0;
    if (!same) {
        fprintf(stderr, "call %llu\n  got   %s\n", (unsigned long long)w->calls, say(w, &w->all));
        fprintf(stderr, "  want  %s\n", say(w, &all));
    }
    assert_true(same);
}

/* One call in both markets, and everything compared. */
static void both(world_t *w, const op_t *op, bool picture)
{
    w->calls++;
    world_call(w, op);
    model_call(w, op);
    assert_same_out(w);
    for (uint32_t i = 0; i < w->all.entry_count; i++) {
        world_book_feed(w->mbo, &w->entries[i]);
    }
    for (uint32_t i = 0; i < w->all.report_count; i++) {
        const matcher_report_t *r = &w->reports[i];
        const bool over = r->exec == MATCHER_CANCELED || r->exec == MATCHER_EXPIRED || r->exec == MATCHER_REJECTED;
        assert_int_equal(r->leaves_qty, over ? 0 : r->order_qty - r->cum_qty);
        assert_true(r->cum_qty >= 0 && r->leaves_qty >= 0);
        w->execs[r->exec]++;
        w->reasons[r->reason & 15]++;
        w->codes[r->code & 2047]++;
        w->bought += r->exec == MATCHER_TRADE && r->side == SIDE_BUY ? r->last_qty : 0;
        w->sold += r->exec == MATCHER_TRADE && r->side == SIDE_SELL ? r->last_qty : 0;
    }
    assert_int_equal(w->bought, w->sold);
    assert_same_book(w);
    if (picture) {
        assert_same_picture(w);
    }
}

/* A call with less room than it asks for is refused and changes no byte. */
static void assert_full_changes_nothing(world_t *w, const op_t *op)
{
    const matcher_room_t room  = matcher_room(w->m);
    void *const          was   = malloc(w->bytes);
    const bool           small = op->what == CANCEL;
    memcpy(was, w->m, w->bytes);
    for (unsigned i = 0; i < 3; i++) {
        matcher_out_t out = {.reports    = w->reports,
                             .entries    = w->entries,
                             .trades     = w->trades,
                             .report_cap = small ? 1 : room.reports,
                             .entry_cap  = small ? 1 : room.entries,
                             .trade_cap  = small ? 0 : room.trades};
        if (small && i == 2) {
            break;
        }
        *(i == 0 ? &out.report_cap : i == 1 ? &out.entry_cap : &out.trade_cap) -= 1;
        assert_int_equal(call(w, op, &out), ERR_FULL);
        assert_int_equal(out.report_count + out.entry_count + out.trade_count, 0);
        assert_memory_equal(was, w->m, w->bytes);
    }
    free(was);
}

/* ---- random flows ----------------------------------------------------------------------------------------------- */

typedef struct flow {
    int64_t  mid;
    int64_t  width;
    uint64_t owners;
    uint64_t ids;
    uint64_t recent[IDS_KEPT];
} flow_t;

static int64_t some_px(world_t *w, const flow_t *f)
{
    const int64_t px = f->mid + (int64_t)rnd(w, (uint64_t)(2 * f->width)) - f->width;
    return rnd(w, 40) == 0 ? px : (px >= 1000 || px < 0 ? px - px % 10 : px - px % 5);
}

static int64_t some_qty(world_t *w)
{
    const int64_t qty = (int64_t)rnd(w, rnd(w, 12) == 0 ? 300 : 30);
    return rnd(w, 40) == 0 ? qty : qty - qty % 2 + 4;
}

/* The price of an order of its side that mostly rests. */
static int64_t rest_px(world_t *w, const flow_t *f, uint8_t side)
{
    int64_t px = some_px(w, f);
    if (rnd(w, 4) != 0 && (side == SIDE_BUY) == (px > f->mid)) {
        px = 2 * f->mid - px;
        px -= px % 10;
    }
    return px;
}

static matcher_order_t some_order(world_t *w, flow_t *f)
{
    static const uint8_t types[] = {1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6};
    static const uint8_t tifs[]  = {TIF_GTC, TIF_GTC, TIF_GTC, TIF_DAY, TIF_GTD, TIF_GTD, TIF_IOC, TIF_FOK};
    matcher_order_t      o       = {.id       = ++f->ids * 0x9E3779B97F4A7C15ULL,
                                    .qty      = some_qty(w),
                                    .owner    = (uint32_t)rnd(w, f->owners + 1),
                                    .side     = (uint8_t)(1 + rnd(w, 2)),
                                    .ord_type = types[rnd(w, sizeof types)],
                                    .tif      = tifs[rnd(w, sizeof tifs)],
                                    .stp      = (uint8_t)rnd(w, 5)};
    f->recent[f->ids % IDS_KEPT] = o.id;
    const bool limit             = o.ord_type == 2 || o.ord_type == 4 || o.ord_type == 6;
    const bool stays             = limit && o.tif != TIF_IOC && o.tif != TIF_FOK;
    const bool trailing          = o.ord_type == 5 || o.ord_type == 6;
    if (o.tif == TIF_GTD) {
        o.expire_ns = w->ts_ns + (int64_t)rnd(w, 3000);
    }
    o.px = o.ord_type == 6 ? (int64_t)rnd(w, 60) : limit ? rest_px(w, f, o.side) : 0;
    if (o.ord_type == ORD_TYPE_MARKET && rnd(w, 3) == 0) {
        o.px = some_px(w, f);
    }
    if (o.ord_type >= 3 && (!trailing || rnd(w, 3) == 0)) {
        o.stop_px = some_px(w, f);
    }
    o.trail       = trailing ? (int64_t)rnd(w, 80) : 0;
    o.display_qty = stays && rnd(w, 5) == 0 ? 2 + 2 * (int64_t)rnd(w, 5) : 0;
    o.exec_inst   = (uint16_t)((stays && rnd(w, 10) == 0 ? 1 : 0) + (rnd(w, 4) == 0 ? 2 : 0));
    switch (rnd(w, 400)) { /* nonsense */
    case 0: o.id = f->recent[rnd(w, IDS_KEPT)]; break;
    case 1: o.ord_type = (uint8_t)rnd(w, 256); break;
    case 2: o.tif = (uint8_t)rnd(w, 10); break;
    case 3: o.px = (int64_t)seeded_next(&w->rng); break;
    case 4: o.qty = (int64_t)seeded_next(&w->rng); break;
    case 5: o.stop_px = (int64_t)seeded_next(&w->rng); break;
    case 6: o.trail = (int64_t)seeded_next(&w->rng); break;
    case 7: o.owner = (uint32_t)rnd(w, 100); break;
    case 8: o.exec_inst = (uint16_t)rnd(w, 8); break;
    case 9: o.display_qty = (int64_t)rnd(w, 7) - 3; break;
    case 10: o.stp = (uint8_t)rnd(w, 8); break;
    default: break;
    }
    return o;
}

static matcher_change_t some_change(world_t *w, flow_t *f)
{
    const model_state_t *now = &w->model.now;
    if (now->count == 0 || rnd(w, 50) == 0) {
        return (matcher_change_t){.id = f->recent[rnd(w, IDS_KEPT)], .px = some_px(w, f), .qty = some_qty(w)};
    }
    const model_order_t *x = &now->orders[rnd(w, now->count)];
    matcher_change_t c = {.id = x->o.id, .px = x->o.px, .qty = x->o.qty, .stop_px = x->o.stop_px, .trail = x->o.trail};
    const bool       trailing = x->o.ord_type >= 5;
    if (trailing && rnd(w, 2) == 0) {
        c.stop_px = 0;
    }
    for (uint64_t n = 1 + rnd(w, 2); n > 0; n--) {
        switch (rnd(w, 6)) {
        case 0: c.px = x->o.ord_type == 6 && x->stand == MATCHER_WAITING ? (int64_t)rnd(w, 60) : some_px(w, f); break;
        case 1: c.qty = x->cum_qty + some_qty(w); break;
        case 2: c.qty -= 2 * (int64_t)rnd(w, 8); break;
        case 3: c.stop_px = x->stand == MATCHER_WAITING ? some_px(w, f) : c.stop_px; break;
        case 4: c.trail = trailing ? (int64_t)rnd(w, 80) : (int64_t)(rnd(w, 20) == 0); break;
        default: break;
        }
    }
    return c;
}

static op_t some_op(world_t *w, flow_t *f, uint64_t submits)
{
    const uint64_t what = rnd(w, 1000);
    op_t           op   = {.what = SUBMIT};
    if (what < submits) {
        op.order = some_order(w, f);
    } else if (what < 800) {
        op.what = CANCEL;
        op.id   = w->model.now.count > 0 && rnd(w, 20) != 0 ? w->model.now.orders[rnd(w, w->model.now.count)].o.id
                                                            : f->recent[rnd(w, IDS_KEPT)];
    } else if (what < 970) {
        op.what   = REPLACE;
        op.change = some_change(w, f);
    } else if (what < 975) {
        op.what  = CANCEL_OWNER;
        op.owner = (uint32_t)rnd(w, f->owners + 1);
    } else if (what < 985) {
        op.what  = ENTER;
        op.phase = rnd(w, 3) == 0 ? (matcher_phase_t)(1 + rnd(w, 4)) : MATCHER_OPEN;
    } else if (what < 990) {
        op.what = PRINT;
        op.qty  = some_px(w, f);
    } else {
        op.what  = POSITION;
        op.owner = 1 + (uint32_t)rnd(w, f->owners);
        op.qty   = (int64_t)rnd(w, 120) - 60;
    }
    if (w->model.now.phase != MATCHER_OPEN && rnd(w, 6) == 0) { /* it does not stay shut for long */
        op = (op_t){.what = ENTER, .phase = MATCHER_OPEN};
    }
    if (op.what == CANCEL_OWNER && w->model.now.phase == MATCHER_CLOSED) {
        op = (op_t){.what = EXPIRE};
    }
    return op;
}

/* The block moves: the old one is scribbled over. */
static void world_move(world_t *w)
{
    void *mem = block(matcher_align(), w->bytes);
    memcpy(mem, w->m, w->bytes);
    memset(w->m, 0xa5, w->bytes);
    free(w->m);
    w->m = matcher_join(mem);
    assert_non_null(w->m);
}

static void run_flow(uint64_t seed, const matcher_cfg_t *cfg, const instrument_def_t *def, flow_t flow, uint64_t calls)
{
    world_t *w = world_new(cfg, def);
    w->rng     = seed;
    for (uint64_t i = 0; i < calls; i++) {
        w->ts_ns += (int64_t)rnd(w, 20);
        w->pieces          = i / 500 % 2 == 1;
        const bool picture = i < 1000 || i % 16 == 0;
        if (matcher_due_ns(w->m) <= w->ts_ns) {
            matcher_out_t none = {0};
            assert_int_equal(matcher_print(w->m, 1000, w->ts_ns, &none), ERR_STATE);
            both(w, &(op_t){.what = EXPIRE}, picture);
        }
        const op_t op = some_op(w, &flow, i / 2000 % 2 == 0 ? 650 : 500);
        if (i % 64 == 0 && op.what != EXPIRE && op.what != CANCEL_OWNER) {
            assert_full_changes_nothing(w, &op);
        }
        if (i % 512 == 511) {
            world_move(w);
        }
        both(w, &op, picture);
    }
    printf("  %llu calls, %lld traded, %llu triggered (%u in a call), %llu restated, %llu went on in pieces\n",
           (unsigned long long)w->calls, (long long)w->bought, (unsigned long long)w->execs['L'], w->model.waves_max,
           (unsigned long long)w->execs['D'], (unsigned long long)w->again);
    printf("  reasons");
    for (unsigned i = 1; i < 10; i++) {
        printf(" %u:%llu", i, (unsigned long long)w->reasons[i]);
    }
    printf("; codes");
    for (unsigned i = 1; i < 2048; i++) {
        w->codes[i] > 0 ? printf(" %u:%llu", i, (unsigned long long)w->codes[i]) : 0;
    }
    printf("\n");
    if (getenv("HWAL_SEED") == NULL && calls >= 20000) { /* a given seed need not reach the rarest */
        for (unsigned i = 1; i < 10; i++) {
            assert_true(w->reasons[i] > 0);
        }
        assert_true(w->bought > 0 && w->again > 0 && w->model.waves_max > 3);
    }
    world_free(w);
}

static uint64_t flow_calls(uint64_t calls)
{
    return getenv("HWAL_QUICK") != NULL ? calls / 8 : seeded_rounds(calls, calls * 50);
}

static void test_matcher_equals_slow_market(void **state)
{
    (void)state;
    const uint64_t         seed   = seeded_seed("matcher");
    const instrument_def_t banded = {
        .lot = 2, .min_qty = 4, .min_notional = 2000, .band_lower = 700, .band_upper = 1400};
    const instrument_def_t open = {.lot = 1, .allow_negative = 1};
    run_flow(seed, &(matcher_cfg_t){.orders_max = 300, .owners_max = 6, .fills_max = 24, .window_ticks = 256}, &banded,
             (flow_t){.mid = 1000, .width = 100, .owners = 6}, flow_calls(40000));
    run_flow(seed + 1, &(matcher_cfg_t){.orders_max = 60, .owners_max = 2, .fills_max = 60, .window_ticks = 256},
             &banded, (flow_t){.mid = 1000, .width = 40, .owners = 2}, flow_calls(40000));
    run_flow(seed + 2, &(matcher_cfg_t){.orders_max = 200, .owners_max = 3, .fills_max = 40, .window_ticks = 256},
             &open, (flow_t){.mid = 0, .width = 60, .owners = 3}, flow_calls(40000));
    run_flow(seed + 3, &(matcher_cfg_t){.orders_max = 400, .owners_max = 3, .fills_max = 400, .window_ticks = 256},
             &open, (flow_t){.mid = 100000, .width = 90000, .owners = 3}, flow_calls(10000));
}

/* ---- by hand ---------------------------------------------------------------------------------------------------- */

#define SELL_STOP(n, q, at) .id = (n), .qty = (q), .stop_px = (at), .side = SIDE_SELL, .tif = TIF_GTC

static world_t *hand_world(void)
{
    return world_new(&(matcher_cfg_t){.orders_max = 40, .owners_max = 3, .fills_max = 8, .window_ticks = 256},
                     &(instrument_def_t){.lot = 1, .min_qty = 1});
}

static void expect(world_t *w, op_t op, const char *want)
{
    both(w, &op, true);
    assert_string_equal(say(w, &w->all), want);
}

static void expect_new(world_t *w, matcher_order_t order, const char *want)
{
    expect(w, (op_t){.what = SUBMIT, .order = order}, want);
}

static matcher_order_t limit(uint64_t id, side_t side, int64_t qty, int64_t px)
{
    return (matcher_order_t){
        .id = id, .px = px, .qty = qty, .side = (uint8_t)side, .ord_type = ORD_TYPE_LIMIT, .tif = TIF_GTC};
}

static matcher_order_t market(uint64_t id, side_t side, int64_t qty)
{
    return (matcher_order_t){.id = id, .qty = qty, .side = (uint8_t)side, .ord_type = ORD_TYPE_MARKET, .tif = TIF_IOC};
}

static op_t print_at(int64_t px)
{
    return (op_t){.what = PRINT, .qty = px};
}

static op_t phase_to(matcher_phase_t phase)
{
    return (op_t){.what = ENTER, .phase = phase};
}

static int64_t stop_px_of(const world_t *w, uint64_t id)
{
    matcher_rest_t rest;
    assert_true(matcher_find(w->m, id, &rest));
    return rest.stop_px;
}

static void test_matcher_order_types(void **state)
{
    (void)state;
    world_t        *w = hand_world();
    matcher_order_t o;
    expect_new(w, limit(1, SIDE_SELL, 10, 1000), "N1 +1:10@1000");
    expect_new(w, limit(2, SIDE_SELL, 10, 1010), "N2 +2:10@1010");
    expect_new(w, market(3, SIDE_BUY, 5), "N3 F1m5@1000 F3t5@1000 *1:5");
    o    = market(4, SIDE_BUY, 20);
    o.px = 1005; /* a collar between two levels */
    expect_new(w, o, "N4 F1m5@1000 F4t5@1000 X4-15i *1:5");
    o     = limit(5, SIDE_BUY, 15, 1010);
    o.tif = TIF_FOK;
    expect_new(w, o, "N5 X5-15f");
    o.tif = TIF_IOC;
    expect_new(w, o, "N5 F2m10@1010 F5t10@1010 X5-5i *2:10");
    o           = limit(6, SIDE_BUY, 1, 1000);
    o.exec_inst = EXEC_INST_POST_ONLY;
    expect_new(w, o, "N6 +6:1@1000");
    o           = limit(7, SIDE_SELL, 1, 1000);
    o.exec_inst = EXEC_INST_POST_ONLY;
    expect_new(w, o, "J7#1001");
    expect(w, (op_t){.what = CANCEL, .id = 6}, "X6-1r -6:1");
    expect(w, (op_t){.what = CANCEL, .id = 6}, "K6#5");

    /* stop: last is 1010 */
    expect_new(w, limit(8, SIDE_SELL, 5, 1020), "N8 +8:5@1020");
    o      = (matcher_order_t){SELL_STOP(9, 3, 1020), .ord_type = ORD_TYPE_STOP};
    o.side = SIDE_BUY;
    expect_new(w, o, "N9");
    expect(w, print_at(1019), "");
    expect(w, print_at(1020), "T9 F8m3@1020 F9t3@1020 *8:3");
    expect_new(w, (matcher_order_t){SELL_STOP(10, 1, 1020), .ord_type = ORD_TYPE_STOP}, "N10 T10 X10-1i");
    expect_new(w, (matcher_order_t){SELL_STOP(11, 4, 1000), .ord_type = ORD_TYPE_STOP_LIMIT, .px = 995}, "N11");
    expect(w, print_at(1000), "T11 +11:4@995");
    expect(w, (op_t){.what = CANCEL, .id = 11}, "X11-4r -11:4");
    /* a stop that would take at its limit and may not */
    expect_new(w, limit(12, SIDE_BUY, 1, 980), "N12 +12:1@980");
    o           = (matcher_order_t){SELL_STOP(13, 4, 990), .ord_type = ORD_TYPE_STOP_LIMIT, .px = 980};
    o.exec_inst = EXEC_INST_POST_ONLY;
    expect_new(w, o, "N13");
    expect(w, print_at(990), "T13 X13-4x#1001");
    /* trailing: the stop price follows up, never down */
    expect_new(w, (matcher_order_t){SELL_STOP(14, 2, 0), .ord_type = ORD_TYPE_TRAILING_STOP, .trail = 20}, "N14");
    assert_int_equal(stop_px_of(w, 14), 970);
    expect(w, print_at(1030), "");
    assert_int_equal(stop_px_of(w, 14), 1010);
    expect(w, print_at(1015), "");
    assert_int_equal(stop_px_of(w, 14), 1010);
    expect(w, print_at(1010), "T14 F12m1@980 F14t1@980 X14-1i *12:1");
    /* a buy's only falls; a start of its own that is nearer counts, one that is farther does not */
    o      = (matcher_order_t){SELL_STOP(15, 2, 1000), .ord_type = ORD_TYPE_TRAILING_STOP, .trail = 30};
    o.side = SIDE_BUY;
    expect_new(w, o, "N15");
    assert_int_equal(stop_px_of(w, 15), 1000);
    o.id      = 16;
    o.stop_px = 1030;
    expect_new(w, o, "N16");
    assert_int_equal(stop_px_of(w, 16), 1010);
    expect(w, print_at(960), "");
    assert_int_equal(stop_px_of(w, 15), 990);
    assert_int_equal(stop_px_of(w, 16), 990);
    expect(w, (op_t){.what = CANCEL_OWNER, .owner = 0}, "X8-2m X15-2m X16-2m -8:2");
    /* its limit: 7 worse than the stop price, rounded in its favour */
    o = (matcher_order_t){SELL_STOP(17, 1, 0), .ord_type = ORD_TYPE_TRAILING_STOP_LIMIT, .trail = 10, .px = 7};
    expect_new(w, o, "N17");
    expect(w, print_at(950), "T17 +17:1@945");
    world_free(w);
}

/* Owner 1 has 4 in front of owner 2's 6, at 1000, and buys there. */
static void stp_case(stp_t stp, tif_t tif, int64_t qty, const char *want)
{
    world_t        *w = hand_world();
    matcher_order_t o = limit(1, SIDE_SELL, 4, 1000);
    o.owner           = 1;
    expect_new(w, o, "N1 +1:4@1000");
    o       = limit(2, SIDE_SELL, 6, 1000);
    o.owner = 2;
    expect_new(w, o, "N2 +2:6@1000");
    o       = limit(3, SIDE_BUY, qty, 1000);
    o.owner = 1;
    o.stp   = (uint8_t)stp;
    o.tif   = (uint8_t)tif;
    expect_new(w, o, want);
    world_free(w);
}

static void test_matcher_self_trade_prevention(void **state)
{
    (void)state;
    const char *all       = "N3 F1m4@1000 F3t4@1000 F2m4@1000 F3t4@1000 *1:4 *2:4";
    const char *decrement = "N3 X1-4s D3-4s F2m4@1000 F3t4@1000 -1:4 *2:4";
    stp_case(STP_NONE, TIF_GTC, 8, all);
    stp_case(STP_NONE, TIF_IOC, 8, all);
    stp_case(STP_NONE, TIF_FOK, 8, all);
    stp_case(STP_CANCEL_NEWEST, TIF_GTC, 8, "N3 X3-8s");
    stp_case(STP_CANCEL_NEWEST, TIF_IOC, 8, "N3 X3-8s");
    stp_case(STP_CANCEL_NEWEST, TIF_FOK, 6, "N3 X3-6f");
    stp_case(STP_CANCEL_OLDEST, TIF_GTC, 8, "N3 X1-4s F2m6@1000 F3t6@1000 -1:4 *2:6 +3:2@1000");
    stp_case(STP_CANCEL_OLDEST, TIF_IOC, 8, "N3 X1-4s F2m6@1000 F3t6@1000 X3-2i -1:4 *2:6");
    stp_case(STP_CANCEL_OLDEST, TIF_FOK, 6, "N3 X1-4s F2m6@1000 F3t6@1000 -1:4 *2:6");
    stp_case(STP_CANCEL_OLDEST, TIF_FOK, 8, "N3 X3-8f");
    stp_case(STP_CANCEL_BOTH, TIF_GTC, 8, "N3 X1-4s X3-8s -1:4");
    stp_case(STP_CANCEL_BOTH, TIF_IOC, 8, "N3 X1-4s X3-8s -1:4");
    stp_case(STP_CANCEL_BOTH, TIF_FOK, 6, "N3 X3-6f");
    stp_case(STP_DECREMENT, TIF_GTC, 8, decrement);
    stp_case(STP_DECREMENT, TIF_IOC, 8, decrement);
    stp_case(STP_DECREMENT, TIF_FOK, 6, "N3 X3-6f");
    stp_case(STP_DECREMENT, TIF_GTC, 3, "N3 D1-3s X3-3s -1:3");
    stp_case(STP_DECREMENT, TIF_GTC, 4, "N3 X1-4s X3-4s -1:4");
}

static void test_matcher_iceberg(void **state)
{
    (void)state;
    world_t        *w = hand_world();
    matcher_order_t o = limit(1, SIDE_SELL, 10, 1000);
    o.display_qty     = 4;
    o.owner           = 1;
    expect_new(w, o, "N1 +1:4@1000");
    expect_new(w, limit(2, SIDE_SELL, 5, 1000), "N2 +2:5@1000");
    expect_new(w, market(3, SIDE_BUY, 7), "N3 F1m4@1000 F3t4@1000 F2m3@1000 F3t3@1000 *1:4 +1:4@1000 *2:3");
    expect_new(w, market(4, SIDE_BUY, 4), "N4 F2m2@1000 F4t2@1000 F1m2@1000 F4t2@1000 *2:2 *1:2");
    /* 2 visible, 2 hidden: a decrement of 1 is not seen; less quantity takes the hidden first */
    o       = limit(5, SIDE_BUY, 1, 1000);
    o.owner = 1;
    o.stp   = STP_DECREMENT;
    expect_new(w, o, "N5 D1-1s X5-1s");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 1, .px = 1000, .qty = 8}}, "R1");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 1, .px = 1000, .qty = 7}}, "R1 =1:1@1000");
    /* more quantity goes to the tail, and shows its slice again */
    expect_new(w, limit(6, SIDE_SELL, 1, 1000), "N6 +6:1@1000");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 1, .px = 1000, .qty = 15}}, "R1 -1:1 +1:4@1000");
    expect_new(w, market(7, SIDE_BUY, 2), "N7 F6m1@1000 F7t1@1000 F1m1@1000 F7t1@1000 *6:1 *1:1");
    world_free(w);
}

static void test_matcher_replace(void **state)
{
    (void)state;
    world_t *w = hand_world();
    expect_new(w, limit(1, SIDE_SELL, 5, 1000), "N1 +1:5@1000");
    expect_new(w, limit(2, SIDE_SELL, 5, 1000), "N2 +2:5@1000");
    expect_new(w, limit(3, SIDE_BUY, 5, 990), "N3 +3:5@990");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 1, .px = 1000, .qty = 4}}, "R1 =1:4@1000"); /* in its place */
    expect_new(w, market(4, SIDE_BUY, 1), "N4 F1m1@1000 F4t1@1000 *1:1");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 1, .px = 1000, .qty = 5}}, "R1 -1:3 +1:4@1000"); /* behind 2 */
    expect_new(w, market(5, SIDE_BUY, 1), "N5 F2m1@1000 F5t1@1000 *2:1");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 1, .px = 1000, .qty = 1}}, "Q1#13"); /* that much is filled */
    expect(w, (op_t){.what = REPLACE, .change = {.id = 9, .px = 1000, .qty = 1}}, "Q9#5");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 3, .px = 1000, .qty = 6}}, /* it crosses now */
           "R3 F2m4@1000 F3t4@1000 F1m2@1000 F3t2@1000 -3:5 *2:4 *1:2");
    /* a stop: new price, new trail; a trailing one goes on following when only its quantity is new */
    expect_new(w, (matcher_order_t){SELL_STOP(6, 3, 900), .ord_type = ORD_TYPE_STOP}, "N6");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 6, .qty = 3, .stop_px = 950}}, "R6");
    expect_new(w, (matcher_order_t){SELL_STOP(7, 3, 0), .ord_type = ORD_TYPE_TRAILING_STOP, .trail = 40}, "N7");
    expect(w, print_at(1020), "");
    expect(w, print_at(1010), "");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 7, .qty = 9, .trail = 40}}, "R7");
    assert_int_equal(stop_px_of(w, 7), 980);
    expect(w, (op_t){.what = REPLACE, .change = {.id = 7, .qty = 9, .trail = 50}}, "R7");
    assert_int_equal(stop_px_of(w, 7), 960);
    expect(w, (op_t){.what = REPLACE, .change = {.id = 6, .qty = 3, .stop_px = 1010}}, "R6 T6 X6-3i");
    world_free(w);
}

static void test_matcher_cascade(void **state)
{
    (void)state;
    world_t *w = hand_world();
    expect(w, print_at(1000), "");
    expect_new(w, limit(1, SIDE_BUY, 1, 995), "N1 +1:1@995");
    expect_new(w, limit(2, SIDE_BUY, 1, 990), "N2 +2:1@990");
    expect_new(w, limit(3, SIDE_BUY, 1, 985), "N3 +3:1@985");
    expect_new(w, (matcher_order_t){SELL_STOP(4, 1, 990), .ord_type = ORD_TYPE_STOP}, "N4");
    expect_new(w, (matcher_order_t){SELL_STOP(5, 1, 995), .ord_type = ORD_TYPE_STOP}, "N5");
    expect_new(w, (matcher_order_t){SELL_STOP(6, 1, 990), .ord_type = ORD_TYPE_STOP}, "N6");
    w->pieces = true;
    expect_new(w, market(7, SIDE_SELL, 1),
               "N7 F1m1@995 F7t1@995 T5 F2m1@990 F5t1@990 T4 F3m1@985 F4t1@985 T6 X6-1i *1:1 *2:1 *3:1");
    assert_int_equal(w->again, 3);
    /* sells by falling price, equal ones by arrival, whatever order they came in */
    expect_new(w, (matcher_order_t){SELL_STOP(8, 1, 980), .ord_type = ORD_TYPE_STOP}, "N8");
    expect_new(w, (matcher_order_t){SELL_STOP(9, 1, 975), .ord_type = ORD_TYPE_STOP}, "N9");
    expect_new(w, (matcher_order_t){SELL_STOP(10, 1, 980), .ord_type = ORD_TYPE_STOP}, "N10");
    expect(w, print_at(970), "T8 X8-1i T10 X10-1i T9 X9-1i");
    world_free(w);

    /* the first price of all can be through on both sides: buys go first, by rising price */
    w                 = hand_world();
    matcher_order_t o = {SELL_STOP(1, 1, 1000), .ord_type = ORD_TYPE_STOP};
    expect_new(w, o, "N1");
    o.id   = 2;
    o.side = SIDE_BUY;
    expect_new(w, o, "N2");
    o.id      = 3;
    o.stop_px = 990;
    expect_new(w, o, "N3");
    expect(w, print_at(1000), "T3 X3-1i T2 X2-1i T1 X1-1i");
    world_free(w);
}

static void test_matcher_phases_and_terms(void **state)
{
    (void)state;
    world_t        *w = hand_world();
    matcher_order_t o = limit(1, SIDE_BUY, 5, 900);
    o.tif             = TIF_DAY;
    expect_new(w, o, "N1 +1:5@900");
    expect_new(w, limit(2, SIDE_BUY, 5, 905), "N2 +2:5@905");
    expect(w, print_at(1000), "");
    expect_new(w, (matcher_order_t){SELL_STOP(3, 2, 950), .ord_type = ORD_TYPE_STOP}, "N3");
    expect_new(w, (matcher_order_t){SELL_STOP(4, 2, 955), .ord_type = ORD_TYPE_STOP}, "N4");
    expect(w, phase_to(MATCHER_CANCEL_ONLY), "");
    expect_new(w, limit(5, SIDE_BUY, 5, 905), "J5#2");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 2, .px = 905, .qty = 4}}, "R2 =2:4@905");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 2, .px = 905, .qty = 6}}, "Q2#2");
    expect(w, phase_to(MATCHER_HALTED), "");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 2, .px = 905, .qty = 3}}, "Q2#2");
    expect(w, print_at(950), ""); /* both are through, and wait */
    expect(w, phase_to(MATCHER_CANCEL_ONLY), "");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 3, .qty = 1, .stop_px = 950}}, "R3");
    expect(w, phase_to(MATCHER_OPEN), "T4 F2m2@905 F4t2@905 T3 F2m1@905 F3t1@905 *2:2 *2:1");
    expect(w, phase_to(MATCHER_HALTED), "");
    expect(w, (op_t){.what = CANCEL, .id = 2}, "X2-1r -2:1");
    expect(w, phase_to(MATCHER_CLOSED), "E1-5d -1:5");
    expect(w, phase_to(MATCHER_OPEN), "");
    o           = limit(6, SIDE_BUY, 5, 900);
    o.tif       = TIF_GTD;
    o.expire_ns = w->ts_ns + 10;
    expect_new(w, o, "N6 +6:5@900");
    o.id        = 7;
    o.expire_ns = w->ts_ns + 9;
    expect_new(w, o, "N7 +7:5@900");
    o.id = 8;
    expect_new(w, o, "N8 +8:5@900");
    expect(w, phase_to(MATCHER_CLOSED), ""); /* GTD stays; cancels do not pass */
    expect(w, (op_t){.what = CANCEL, .id = 6}, "K6#2");
    matcher_out_t none = {0};
    assert_int_equal(matcher_cancel_owner(w->m, 0, w->ts_ns, &none), ERR_STATE);
    assert_int_equal(matcher_due_ns(w->m), w->ts_ns + 9);
    w->ts_ns += 8;
    expect(w, (op_t){.what = EXPIRE}, "");
    w->ts_ns += 2;
    assert_int_equal(matcher_enter(w->m, MATCHER_OPEN, w->ts_ns, &none), ERR_STATE);
    w->pieces = true;
    expect(w, (op_t){.what = EXPIRE}, "E7-5g E8-5g E6-5g -7:5 -8:5 -6:5");
    world_free(w);
}

static void test_matcher_lists_in_pieces(void **state)
{
    (void)state;
    world_t        *w   = hand_world();
    matcher_out_t   out = {.reports = w->reports, .entries = w->entries, .report_cap = 2, .entry_cap = MODEL_OUT};
    matcher_order_t o   = limit(1, SIDE_BUY, 5, 900);
    o.owner             = 2;
    for (o.id = 1; o.id <= 3; o.id++) {
        both(w, &(op_t){.what = SUBMIT, .order = o}, true);
    }
    assert_int_equal(matcher_cancel_owner(w->m, 2, 5, &out), ERR_AGAIN);
    assert_int_equal(matcher_cancel_owner(w->m, 2, 5, &out), ERR_FULL);
    assert_string_equal(say(w, &out), "X1-5m X2-5m -1:5 -2:5");
    out.report_count = 0;
    assert_int_equal(matcher_cancel_owner(w->m, 2, 5, &out), ERR_OK);
    assert_int_equal(matcher_open(w->m), 0);
    world_free(w);
}

/* Orders expire between two pieces of a cascade, also one that is queued. */
static void test_matcher_expire_before_run(void **state)
{
    (void)state;
    world_t             *w    = hand_world();
    const matcher_room_t room = matcher_room(w->m);
    matcher_out_t        out  = {.reports    = w->reports,
                                 .entries    = w->entries,
                                 .trades     = w->trades,
                                 .report_cap = room.reports,
                                 .entry_cap  = MODEL_OUT,
                                 .trade_cap  = MODEL_OUT};
    matcher_order_t      o    = {SELL_STOP(1, 1, 950), .ord_type = ORD_TYPE_STOP};
    expect(w, print_at(1000), "");
    expect_new(w, o, "N1");
    o.id        = 2;
    o.tif       = TIF_GTD;
    o.expire_ns = w->ts_ns + 5;
    expect_new(w, o, "N2");
    assert_int_equal(matcher_print(w->m, 950, w->ts_ns, &out), ERR_AGAIN);
    assert_string_equal(say(w, &out), "T1 X1-1i");
    out.report_count = 0;
    assert_int_equal(matcher_run(w->m, w->ts_ns + 5, &out), ERR_STATE);
    assert_int_equal(matcher_expire(w->m, w->ts_ns + 5, &out), ERR_OK);
    assert_int_equal(matcher_run(w->m, w->ts_ns + 5, &out), ERR_OK);
    assert_string_equal(say(w, &out), "E2-1g");
    world_free(w);
}

/* A replace that loses the place is an arrival: for those who end at the same time, and for the limit of positions. */
static void test_matcher_replace_arrives(void **state)
{
    (void)state;
    world_t        *w = hand_world();
    matcher_order_t o = limit(1, SIDE_BUY, 5, 900);
    o.tif             = TIF_DAY;
    o.owner           = 1;
    for (o.id = 1; o.id <= 4; o.id++) {
        both(w, &(op_t){.what = SUBMIT, .order = o}, true);
    }
    expect(w, (op_t){.what = POSITION, .owner = 1, .qty = MATCHER_POS_MAX - 21}, "");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 1, .px = 900, .qty = 7}}, "Q1#3");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 1, .px = 900, .qty = 6}}, "R1 -1:5 +1:6@900");
    expect(w, phase_to(MATCHER_CLOSED), "E2-5d E3-5d E4-5d E1-6d -2:5 -3:5 -4:5 -1:6");
    world_free(w);
}

static void test_matcher_reduce_only(void **state)
{
    (void)state;
    world_t        *w = hand_world();
    matcher_order_t o = limit(1, SIDE_SELL, 8, 1000);
    o.owner           = 1;
    o.exec_inst       = EXEC_INST_REDUCE_ONLY;
    expect_new(w, o, "J1#1004"); /* flat */
    expect(w, (op_t){.what = POSITION, .owner = 1, .qty = 10}, "");
    expect_new(w, o, "N1 +1:8@1000");
    o.id  = 2;
    o.qty = 50;
    expect_new(w, o, "N2 D2-40o D2-8o +2:10@1000 -2:8"); /* to the position, then to what 1 leaves of it */
    o.side = SIDE_BUY;
    o.id   = 3;
    o.px   = 900;
    expect_new(w, o, "J3#1004"); /* the wrong way */
    o       = limit(4, SIDE_SELL, 5, 1010);
    o.owner = 1;
    expect_new(w, o, "N4 X2-2o D1-3o +4:5@1010 -2:2 -1:3"); /* an order that is not cut counts: the newest go first */
    expect_new(w, limit(5, SIDE_BUY, 4, 990), "N5 +5:4@990");
    o           = market(6, SIDE_SELL, 20);
    o.owner     = 1;
    o.exec_inst = EXEC_INST_REDUCE_ONLY;
    expect_new(w, o, "N6 D6-10o F5m4@990 F6t4@990 X6-6i D1-4o *5:4 -1:4"); /* 6 left, 5 of them 4's */
    assert_int_equal(matcher_position(w->m, 1), 6);
    /* the whole side trades in one go: flat, and not beyond */
    expect_new(w, market(7, SIDE_BUY, 9), "N7 F1m1@1000 F7t1@1000 F4m5@1010 F7t5@1010 X7-3i *1:1 *4:5");
    assert_int_equal(matcher_position(w->m, 1), 0);
    /* a stop finds nothing to reduce when it triggers, or less than it wanted */
    o           = (matcher_order_t){SELL_STOP(8, 6, 1000), .ord_type = ORD_TYPE_STOP};
    o.owner     = 1;
    o.exec_inst = EXEC_INST_REDUCE_ONLY;
    expect_new(w, o, "N8");
    expect(w, print_at(1000), "T8 X8-6o");
    o.id      = 9;
    o.stop_px = 995;
    expect_new(w, o, "N9");
    expect(w, (op_t){.what = POSITION, .owner = 1, .qty = 2}, "");
    expect_new(w, limit(10, SIDE_BUY, 4, 990), "N10 +10:4@990");
    expect(w, print_at(995), "T9 D9-4o F10m2@990 F9t2@990 *10:2");
    /* a position that is taken away takes them along; what an increase may not bring keeps the place */
    expect(w, (op_t){.what = POSITION, .owner = 2, .qty = -5}, "");
    o           = limit(11, SIDE_BUY, 5, 980);
    o.owner     = 2;
    o.exec_inst = EXEC_INST_REDUCE_ONLY;
    expect_new(w, o, "N11 +11:5@980");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 11, .px = 980, .qty = 9}}, "R11 D11-4o");
    expect(w, (op_t){.what = REPLACE, .change = {.id = 11, .px = 985, .qty = 9}}, "R11 D11-4o -11:5 +11:5@985");
    expect(w, (op_t){.what = POSITION, .owner = 2, .qty = -3}, "D11-2o -11:2");
    expect(w, (op_t){.what = POSITION, .owner = 2, .qty = 3}, "X11-3o -11:3");
    world_free(w);
}

static void test_matcher_door(void **state)
{
    (void)state;
    world_t *w = world_new(
        &(matcher_cfg_t){.orders_max = 34, .owners_max = 2, .fills_max = 2, .window_ticks = 256},
        &(instrument_def_t){.lot = 2, .min_qty = 4, .min_notional = 5000, .band_lower = 500, .band_upper = 1500});
    const matcher_order_t good = limit(1, SIDE_BUY, 10, 1000);
    matcher_order_t       o;
#define REFUSED(change, code) (o = good, change, expect_new(w, o, "J" code))
    REFUSED(o.id = 0, "0#6");
    REFUSED(o.side = 3, "1#11");
    REFUSED(o.ord_type = 7, "1#11");
    REFUSED(o.tif = 3, "1#11");
    REFUSED(o.exec_inst = 4, "1#11");
    REFUSED(o.stp = 5, "1#11");
    REFUSED(o.stop_px = 900, "1#11");
    REFUSED(o.trail = 5, "1#11");
    REFUSED(o.expire_ns = 5, "1#11");
    REFUSED((o.display_qty = 2, o.tif = TIF_IOC), "1#11");
    REFUSED((o.exec_inst = EXEC_INST_POST_ONLY, o.tif = TIF_FOK), "1#11");
    REFUSED((o.ord_type = ORD_TYPE_STOP, o.stop_px = 900), "1#11"); /* it has no limit price */
    REFUSED(o.qty = 2, "1#13");
    REFUSED(o.qty = 5, "1#13");
    REFUSED(o.qty = CLOB_QTY_MAX + 2, "1#13");
    REFUSED(o.display_qty = 1, "1#13");
    REFUSED(o.display_qty = -2, "1#13");
    REFUSED(o.px = 495, "1#16");
    REFUSED(o.px = 1510, "1#16");
    REFUSED(o.px = 1005, "1#18");
    REFUSED((o.qty = 4, o.px = 1000), "1#1000");
    REFUSED((o.tif = TIF_GTD, o.expire_ns = w->ts_ns), "1#4");
    REFUSED((o.tif = TIF_GTD, o.expire_ns = INT64_MAX), "1#4");
    REFUSED(o.owner = 3, "1#15");
    REFUSED(o.exec_inst = EXEC_INST_REDUCE_ONLY, "1#15");
    REFUSED((o.ord_type = ORD_TYPE_TRAILING_STOP, o.px = 0, o.trail = 5), "1#1005");
    REFUSED((o.ord_type = ORD_TYPE_TRAILING_STOP, o.px = 0), "1#16");
    REFUSED((o.ord_type = ORD_TYPE_TRAILING_STOP_LIMIT, o.px = -5, o.trail = 5), "1#16");
    REFUSED((o.ord_type = ORD_TYPE_STOP_LIMIT, o.stop_px = 901), "1#18");
    REFUSED((o.ord_type = ORD_TYPE_MARKET, o.px = -5), "1#16");
    expect(w, (op_t){.what = POSITION, .owner = 2, .qty = MATCHER_POS_MAX - 8}, "");
    REFUSED(o.owner = 2, "1#3");
    expect_new(w, good, "N1 +1:10@1000");
    REFUSED(o.id = 1, "1#6");
    o = good;
    for (o.id = 2; o.id <= 3; o.id++) {
        both(w, &(op_t){.what = SUBMIT, .order = o}, true);
    }
    expect_new(w, market(4, SIDE_SELL, 30), "J4#1003"); /* three, and two may be met */
    o       = (matcher_order_t){SELL_STOP(0, 10, 900), .ord_type = ORD_TYPE_STOP};
    o.owner = 2, o.exec_inst = EXEC_INST_REDUCE_ONLY;
    for (o.id = 10; matcher_open(w->m) < 3 + 31; o.id++) {
        both(w, &(op_t){.what = SUBMIT, .order = o}, false);
    }
    REFUSED(o.id = 70, "70#1002"); /* no row is left */
    expect(w, (op_t){.what = CANCEL, .id = 1}, "X1-10r -1:10");
    expect(w, (op_t){.what = CANCEL, .id = 2}, "X2-10r -2:10");
    o       = (matcher_order_t){SELL_STOP(71, 10, 900), .ord_type = ORD_TYPE_STOP};
    o.owner = 2, o.exec_inst = EXEC_INST_REDUCE_ONLY;
    expect_new(w, o, "N71");
    o.id = 72;
    expect_new(w, o, "J72#1002"); /* a row is left, but 32 of one owner */
    matcher_out_t none = {0};
    assert_int_equal(matcher_set_position(w->m, 1, MATCHER_POS_MAX + 1, w->ts_ns, &none), ERR_RANGE);
    assert_int_equal(matcher_set_position(w->m, 3, 1, w->ts_ns, &none), ERR_ARG);
    assert_int_equal(matcher_cancel_owner(w->m, 3, w->ts_ns, &none), ERR_ARG);
    assert_int_equal(matcher_enter(w->m, (matcher_phase_t)5, w->ts_ns, &none), ERR_ARG);
    assert_int_equal(matcher_print(w->m, CLOB_PX_MAX, w->ts_ns, &none), ERR_RANGE);
    assert_int_equal(matcher_submit(w->m, &good, w->ts_ns, &none), ERR_FULL);
    world_free(w);
#undef REFUSED
}

static void test_matcher_life(void **state)
{
    (void)state;
    const matcher_cfg_t good   = {.orders_max = 8, .owners_max = 1, .fills_max = 8, .window_ticks = 256};
    matcher_cfg_t       bad[6] = {good, good, good, good, good, good};
    world_t            *w      = hand_world();
    bad[0].orders_max          = 0;
    bad[1].orders_max          = CLOB_ORDERS_MAX + 1;
    bad[2].owners_max          = MATCHER_OWNERS_MAX + 1;
    bad[3].fills_max           = 0;
    bad[4].fills_max           = MATCHER_FILLS_MAX + 1;
    bad[5].window_ticks        = 100;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(matcher_footprint(&bad[i]), 0);
        assert_null(matcher_new(NULL, &bad[i], &w->ins));
        assert_true(strlen(err_msg()) > 10);
    }
    void *mem = block(matcher_align(), matcher_footprint(&good));
    memset(mem, 0, matcher_footprint(&good));
    assert_null(matcher_join(mem));
    instrument_t coarse  = w->ins; /* a tick that the book cannot index */
    coarse.band_count    = 1;
    coarse.bands[0].tick = 1LL << 50;
    assert_null(matcher_new(mem, &good, &coarse));
    assert_null(matcher_join(mem));
    matcher_t *m = matcher_new(mem, &good, &w->ins);
    assert_ptr_equal(matcher_join(mem), m);
    int64_t last;
    assert_false(matcher_last(m, &last));
    assert_int_equal(matcher_phase(m), MATCHER_OPEN);
    assert_int_equal(matcher_position(m, 7), 0);
    free(mem);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matcher_life),
        cmocka_unit_test(test_matcher_order_types),
        cmocka_unit_test(test_matcher_self_trade_prevention),
        cmocka_unit_test(test_matcher_iceberg),
        cmocka_unit_test(test_matcher_replace),
        cmocka_unit_test(test_matcher_cascade),
        cmocka_unit_test(test_matcher_phases_and_terms),
        cmocka_unit_test(test_matcher_lists_in_pieces),
        cmocka_unit_test(test_matcher_expire_before_run),
        cmocka_unit_test(test_matcher_replace_arrives),
        cmocka_unit_test(test_matcher_reduce_only),
        cmocka_unit_test(test_matcher_door),
        cmocka_unit_test(test_matcher_equals_slow_market),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
