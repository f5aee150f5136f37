#include "tests/lib/engine_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition) must(condition, #condition)

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "engine_world: %s does not hold (last sentence: %s)\n", what, err_msg());
        abort();
    }
}

static void *arena_memory(size_t bytes)
{
    return aligned_alloc(engine_align(), (bytes + engine_align() - 1) / engine_align() * engine_align());
}

err_t world_apply(world_t *w, const msg_t *msg)
{
    const now_t now = {.mono_ns = w->now, .utc_ns = w->now + w->utc_ahead};
    const err_t err = engine_apply(w->engine, now, msg, &w->out);
    int64_t     cash, pnl;
    for (uint32_t account = 1; account <= w->accounts; account++) {
        for (uint32_t k = 0; portfolio_equity_cash_side(engine_portfolio(w->engine), account, k, &cash); k++) {
            MUST(portfolio_equity_pnl_side(engine_portfolio(w->engine), account, k, &pnl));
            MUST(cash == pnl);
        }
    }
    return err;
}

err_t world_apply_body(world_t *w, msg_type_t type, const void *body)
{
    return world_apply(w, &(msg_t){.type = type, .body = body});
}

void world_book(world_t *w, uint32_t flags, int64_t bid, int64_t ask)
{
    const level_t       levels[] = {{bid, 100}, {bid - 10, 500}, {ask, 100}, {ask + 10, 500}};
    const book_update_t upd      = {.instrument_id = 1,
                                    .flags         = flags | BOOK_FLAG_FIRST | BOOK_FLAG_LAST,
                                    .rpt_seq       = ++w->rpt_seq,
                                    .venue_seq     = w->rpt_seq,
                                    .ts_recv_ns    = w->now + w->utc_ahead,
                                    .bid_count     = 2,
                                    .ask_count     = 2};
    MUST(world_apply(w, &(msg_t){.type = MSG_BOOK_UPDATE, .body = &upd, .tail = levels, .tail_count = 4}) == ERR_OK);
}

err_t world_mbo(world_t *w, uint32_t id, uint32_t flags, uint64_t rpt_seq, const mbo_entry_t *entries, uint32_t count)
{
    const mbo_update_t upd = {.instrument_id = id,
                              .flags         = flags,
                              .rpt_seq       = rpt_seq,
                              .venue_seq     = rpt_seq,
                              .ts_event_ns   = w->now + w->utc_ahead - 1,
                              .ts_recv_ns    = w->now + w->utc_ahead,
                              .entry_count   = (uint16_t)count};
    return world_apply(w, &(msg_t){.type = MSG_MBO_UPDATE, .body = &upd, .tail = entries, .tail_count = count});
}

void world_control(world_t *w, control_kind_t kind, scope_t scope, uint32_t id, int64_t value)
{
    const control_t c = {.kind = (uint8_t)kind, .scope_type = (uint8_t)scope, .scope_id = id, .value = value};
    MUST(world_apply_body(w, MSG_CONTROL, &c) == ERR_OK);
}

void world_tick(world_t *w, int64_t after_ns)
{
    w->now += after_ns;
    const tick_t tick = {.mono_ns = w->now, .utc_ns = w->now + w->utc_ahead};
    MUST(world_apply_body(w, MSG_TICK, &tick) == ERR_OK);
}

void world_limits(world_t *w, scope_t scope, uint32_t id1, uint32_t id2, const risk_limits_t *limits)
{
    limit_set_t set = {.scope_type = (uint8_t)scope, .scope_id = id1, .scope_id2 = id2};
    memcpy(&set.max_qty, limits, RISK_SETUP_FIELDS * sizeof(int64_t));
    MUST(world_apply_body(w, MSG_LIMIT_SET, &set) == ERR_OK);
}

void world_limit(world_t *w, scope_t scope, uint32_t id1, uint32_t field, int64_t value)
{
    limit_change_t c = {
        .change_id = 1, .value = value, .scope_type = (uint8_t)scope, .scope_id = id1, .field = (uint16_t)field};
    for (c.step = LIMIT_STEP_BEGIN; c.step <= LIMIT_STEP_COMMIT; c.step++) {
        MUST(world_apply(w, &(msg_t){.type = MSG_LIMIT_CHANGE, .body = &c, .text = "test"}) == ERR_OK);
    }
}

void world_bare(world_t *w, uint32_t epoch, uint32_t accounts)
{
    engine_cfg_t cfg = {.epoch           = epoch,
                        .tenant_id       = 1,
                        .instruments_max = 4,
                        .accounts_max    = accounts,
                        .orders_max      = 1024,
                        .fills_max       = 1024,
                        .lanes_max       = WORLD_LANES,
                        .answer_ns       = 1000 * NS_PER_S, /* beyond what tests wait */
                        .stale_ns        = NS_PER_S,
                        .mbo_books       = WORLD_MBO_BOOKS,
                        .book            = {.window_ticks = 64, .far_slots = 64},
                        .mbo             = {.orders_max = 64, .levels_max = 32}};
    risk_cfg_default(&cfg.risk);
    *w = (world_t){.bytes = engine_footprint(&cfg), .now = NS_PER_S, .accounts = accounts};
    MUST(w->bytes > 0);
    w->arena = arena_memory(w->bytes);
    memset(w->arena, 0xa5, w->bytes); /* what new does not write must not show */
    w->handle = malloc(engine_handle_size());
    MUST(engine_new(w->arena, &cfg) != NULL);
    w->engine = engine_join(w->handle, w->arena);
    MUST(w->engine != NULL);
    w->out = (engine_out_t){.buf = malloc(ENGINE_OUT_MAX), .cap = ENGINE_OUT_MAX};
}

void world_instrument(world_t *w, uint16_t venue_id, const char *symbol)
{
    const instrument_def_t def  = {.venue_id   = venue_id,
                                   .kind       = INSTRUMENT_SPOT,
                                   .px_exp     = 0,
                                   .qty_exp    = 0,
                                   .money_exp  = 2,
                                   .mult       = 1,
                                   .lot        = 1,
                                   .min_qty    = 1,
                                   .settle_ccy = ccy_pack("USD")};
    const tick_band_t      band = {.tick = 1};
    MUST(world_apply(
             w, &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def, .tail = &band, .tail_count = 1, .text = symbol}) ==
         ERR_OK);
}

void world_set_up(world_t *w)
{
    risk_limits_t l;
    world_instrument(w, 1, "X");
    risk_limits_default(SCOPE_VENUE, &l);
    world_limits(w, SCOPE_VENUE, 1, 0, &l);
    risk_limits_default(SCOPE_INSTRUMENT, &l);
    l.max_qty   = 1000;
    l.max_value = INT64_C(1000000000);
    world_limits(w, SCOPE_INSTRUMENT, 1, 0, &l);
    for (uint32_t id = 1; id <= WORLD_LANES; id++) {
        risk_limits_default(SCOPE_STRATEGY, &l);
        l.rate_n = l.msg_n = 1024;
        world_limits(w, SCOPE_STRATEGY, id, 0, &l);
        risk_limits_default(SCOPE_STRATEGY_INSTRUMENT, &l);
        l.max_long = l.max_short = 100000;
        world_limits(w, SCOPE_STRATEGY_INSTRUMENT, id, 1, &l);
    }
    for (uint32_t id = 1; id <= w->accounts; id++) {
        const account_def_t def = {.account_id = id,
                                   .tenant_id  = 1,
                                   .ccy        = ccy_pack("USD"),
                                   .initial    = 10000000000,
                                   .money_exp  = 2,
                                   .flags      = ACCOUNT_MARGIN};
        MUST(world_apply_body(w, MSG_ACCOUNT_DEF, &def) == ERR_OK);
        risk_limits_default(SCOPE_ACCOUNT, &l);
        l.max_value = l.max_gross = l.max_net = l.max_open_value = l.max_day_loss = l.max_realised_loss =
            l.max_drawdown                                                        = INT64_C(1000000000);
        l.value_w_max                                                             = INT64_C(1000000000000);
        l.concentration_bp                                                        = 10000;
        world_limits(w, SCOPE_ACCOUNT, id, 0, &l);
        risk_limits_default(SCOPE_ACCOUNT_INSTRUMENT, &l);
        l.max_qty = l.max_long = l.max_short = 1000;
        world_limits(w, SCOPE_ACCOUNT_INSTRUMENT, id, 1, &l);
    }
    world_control(w, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 1);
    world_control(w, CONTROL_CLOCK, SCOPE_GLOBAL, 0, 1);
    world_control(w, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_OPEN);
}

void world_open(world_t *w, uint32_t epoch, uint32_t accounts)
{
    world_bare(w, epoch, accounts);
    world_control(w, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 1);
    world_set_up(w);
}

void world_copy(world_t *to, const world_t *from)
{
    *to         = *from;
    to->arena   = arena_memory(from->bytes);
    to->handle  = malloc(engine_handle_size());
    to->out.buf = malloc(ENGINE_OUT_MAX);
    size_t      bytes;
    const void *image = engine_image(from->engine, &bytes);
    MUST(bytes == from->bytes);
    memcpy(to->arena, image, bytes);
    to->engine = engine_join(to->handle, to->arena);
    MUST(to->engine != NULL);
}

void world_close(world_t *w)
{
    free(w->arena);
    free(w->handle);
    free(w->out.buf);
}

lane_t world_lane(const world_t *w, uint32_t lane_id, lane_state_t state, lane_policy_t on_close)
{
    lane_t   lane  = {0};
    uint64_t lease = 0;
    for (uint32_t id = 1; engine_lane(w->engine, id, &lane); id++) {
        lease = lane.lease > lease ? lane.lease : lease;
    }
    MUST(engine_lane(w->engine, lane_id, &lane));
    if (state == LANE_CLOSED) {
        lane.state  = LANE_CLOSED;
        lane.reason = LANE_REASON_RELEASED;
        return lane;
    }
    const uint32_t last =
        engine_account_count(w->engine) < 62 ? engine_account_count(w->engine) : 62; /* bits 1 .. last */
    return (lane_t){.lease       = lease + 1,
                    .accounts    = ((1ull << (last + 1)) - 1) & ~1ull,
                    .lane_id     = lane_id,
                    .tenant_id   = 1,
                    .strategy_id = lane_id,
                    .uid         = 1000,
                    .pid         = 4711,
                    .rights      = LANE_RIGHT_CHECK | LANE_RIGHT_ORDER,
                    .state       = (uint8_t)state,
                    .on_close    = (uint8_t)on_close};
}

static void lane_must_be_open(world_t *w, uint32_t lane_id)
{
    lane_t lane;
    MUST(engine_lane(w->engine, lane_id, &lane));
    if (lane.state != LANE_OPEN) {
        lane = world_lane(w, lane_id, LANE_OPEN, LANE_KEEP);
        MUST(world_apply_body(w, MSG_LANE, &lane) == ERR_OK);
    }
}

uint16_t world_order(world_t *w, order_req_t req)
{
    req.strategy_id     = req.strategy_id ? req.strategy_id : 1;
    req.cl_ord_id       = cl_ord_id_make(engine_epoch(w->engine), req.strategy_id, ++w->id);
    req.tenant_id       = 1;
    req.account_id      = req.account_id ? req.account_id : 1;
    req.instrument_id   = req.instrument_id ? req.instrument_id : 1;
    req.created_mono_ns = w->now;
    req.action          = req.action ? req.action : ORDER_ACTION_NEW;
    req.ord_type        = req.ord_type ? req.ord_type : ORD_TYPE_LIMIT;
    req.tif             = req.tif ? req.tif : TIF_GTC;
    lane_must_be_open(w, req.strategy_id);
    MUST(world_apply_body(w, MSG_ORDER_REQUEST, &req) == ERR_OK);
    const verdict_t *v = world_out_first(w, MSG_VERDICT);
    MUST(v != NULL);
    MUST(v->cl_ord_id == req.cl_ord_id);
    MUST(world_out_count(w, MSG_ORDER_REQUEST) == (v->code == 0));
    return v->code;
}

exec_report_t world_report(world_t *w, uint64_t seq, exec_type_t type)
{
    return (exec_report_t){.cl_ord_id     = cl_ord_id_make(engine_epoch(w->engine), WORLD_ORIGIN, seq),
                           .exec_id_lo    = ++w->exec,
                           .order_id_lo   = seq,
                           .instrument_id = 1,
                           .exec_type     = (uint8_t)type,
                           .cum_qty       = -1,
                           .leaves_qty    = -1};
}

exec_report_t world_fill(world_t *w, uint64_t seq, side_t side, int64_t px, int64_t qty)
{
    exec_report_t r = world_report(w, seq, EXEC_TYPE_TRADE);
    r.side          = (uint8_t)side;
    r.last_px       = px;
    r.last_qty      = qty;
    r.fee           = 7;
    return r;
}

const void *world_out(const world_t *w, msg_type_t type, uint32_t n)
{
    uint32_t         pos = 0;
    const out_rec_t *rec;
    while ((rec = engine_out_next(&w->out, &pos))) {
        if (rec->type == type && n-- == 0) {
            return rec + 1;
        }
    }
    return NULL;
}

const void *world_out_first(const world_t *w, msg_type_t type)
{
    return world_out(w, type, 0);
}

uint32_t world_out_count(const world_t *w, msg_type_t type)
{
    uint32_t         pos = 0, n = 0;
    const out_rec_t *rec;
    while ((rec = engine_out_next(&w->out, &pos))) {
        n += rec->type == type;
    }
    return n;
}
