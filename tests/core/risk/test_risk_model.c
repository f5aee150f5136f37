/* The gate against a slow model of the sheet (tests/lib/risk_model.h) over random histories: orders, amends, cancels,
 * orders that wait and are released, closing orders of the engine, rates of a second currency, acknowledgements,
 * fills, overfills, busts, repeated and late reports, timeouts, marks, kills, sessions, limit changes,
 * losses, days. At every step
 *   - verdict: code, scope, observed, limit, price to send are the model's
 *   - invariants of the sheet's section 14: position = sum of the executions, each once (1); buy_open, sell_open, open value
 *     and count = sums over the order list, of account and strategy (2); after an accepted order its side of the worst case
 *     is within the limits of account and strategy (3); accepted + rejected = received (5); now and then both arenas move
 *     to other memory, and the hashes are the same (6); nothing but cancels passes under a kill flag that it touches (7)
 *   - sums of the account (gross, net, open value, orders) and its state are the model's
 * and over all: every code that the generator knows was given; each planted fault of the model is found.
 * 10^5 steps, 10^4 with HWAL_QUICK=1, 10^6 with HWAL_SOAK=1. Invariant 4 is the engine's: tests/core/engine. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/types/ids.h"
#include "tests/lib/risk_model.h"
#include "tests/lib/seeded.h"

#define ACCOUNTS 3u
#define STRATEGIES 3u
#define INSTRUMENTS 5u
#define FOREIGN 5u /* settles in EUR */
#define VENUES 2u
#define STEPS_OF_WORLD 400u
#define CCY "USDT"
#define MONEY_EXP 6
#define HUGE_VALUE 1000000000000000000

typedef struct world {
    uint64_t       x;     /* generator */
    bool           plain; /* see wide() */
    risk_model_t  *model;
    void          *mem[2];
    size_t         bytes[2];
    order_table_t *orders;
    risk_t        *risk;
    instrument_t   ins[INSTRUMENTS + 1];
    risk_md_t      md[INSTRUMENTS + 1];
    now_t          now;
    uint64_t       seq, exec, asked;
    uint64_t       ids[STEPS_OF_WORLD]; /* of every NEW that passed */
    uint32_t       id_count;
    uint32_t       id_strategy[STEPS_OF_WORLD];
    order_req_t    sent[STEPS_OF_WORLD]; /* as they passed, and the newest replace of each */
    order_req_t    replace[STEPS_OF_WORLD];
    exec_report_t  reports[STEPS_OF_WORLD]; /* executions, to be told again or undone */
    uint32_t       report_count;
    control_t      kills[16]; /* flags that are set */
    uint32_t       kill_count;
    order_req_t    held[16]; /* as they passed */
    uint32_t       held_count;
    int64_t        rate_ns;  /* of the newest rate */
    uint64_t      *codes;    /* how often each was given */
    char           why[256]; /* the difference that was found */
} world_t;

static uint64_t pick(world_t *w, uint64_t n)
{
    return seeded_next(&w->x) % n;
}

static bool chance(world_t *w, unsigned percent)
{
    return pick(w, 100) < percent;
}

/* ---- set-up --------------------------------------------------------------------------------------------------------- */

static void *memory(size_t bytes)
{
    void *mem = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    MUST(bytes > 0 && mem != NULL);
    memset(mem, 0xa5, bytes);
    return mem;
}

static void move(world_t *w)
{
    for (int i = 0; i < 2; i++) {
        void *copy = memory(w->bytes[i]);
        memcpy(copy, w->mem[i], w->bytes[i]);
        memset(w->mem[i], 0x5a, w->bytes[i]);
        free(w->mem[i]);
        w->mem[i] = copy;
    }
    w->orders = order_join(w->mem[0]);
    w->risk   = risk_join(w->mem[1]);
    MUST(w->orders != NULL && w->risk != NULL);
}

/* Is this limit far away? In a world of plain orders nearly every one is, so that what passes does so without a word
 * (core/risk/gate_quick.h) until it comes near to the one or two that are not. */
static bool wide(world_t *w, unsigned percent)
{
    return chance(w, w->plain ? 95 : percent);
}

/* Mostly wide, so that no single limit stops everything; sometimes near what orders are worth, so that it is met. */
static int64_t loose(world_t *w, int64_t near)
{
    return wide(w, 65) ? HUGE_VALUE : near / 4 + (int64_t)pick(w, (uint64_t)near);
}

static void limits_draw(world_t *w, scope_t scope, uint32_t id1, uint32_t id2, risk_limits_t *l)
{
    const int64_t order = 200000000; /* about the value of one order */
    risk_limits_default(scope, l);
    if (scope == SCOPE_ACCOUNT || scope == SCOPE_STRATEGY || scope == SCOPE_VENUE) {
        l->rate_n    = !wide(w, 70) ? 4 + (int64_t)pick(w, 12) : 64;
        l->msg_n     = !wide(w, 70) ? 4 + (int64_t)pick(w, 12) : 64;
        l->rate_w_ns = 100 * NS_PER_MS * (1 + (int64_t)pick(w, 10));
        l->msg_w_ns  = 100 * NS_PER_MS * (1 + (int64_t)pick(w, 10));
        l->cancel_n  = 64;
    }
    if (scope == SCOPE_STRATEGY) {
        l->otr_max     = wide(w, 0) ? 1000 : 1 + (int64_t)pick(w, 20);
        l->otr_start   = wide(w, 70) ? 1000 : 4 + (int64_t)pick(w, 12);
        l->rep_n       = wide(w, 70) ? 60 : 1 + (int64_t)pick(w, 4);
        l->rep_w_ns    = id1 * NS_PER_S;
        l->reject_n    = wide(w, 60) ? 64 : 4 + (int64_t)pick(w, 12);
        l->reject_w_ns = NS_PER_S / 2;
    }
    if (scope == SCOPE_TENANT || scope == SCOPE_GLOBAL) {
        l->max_credit = loose(w, 8 * order);
    }
    if (scope == SCOPE_VENUE) {
        l->budget_bp = 5000 + (int64_t)pick(w, 5001);
    }
    if (scope == SCOPE_TENANT_INSTRUMENT) {
        l->max_long  = wide(w, 50) ? 100000 : 80 + (int64_t)pick(w, 400);
        l->max_short = wide(w, 50) ? 100000 : 80 + (int64_t)pick(w, 400);
    }
    if (scope == SCOPE_ACCOUNT) {
        l->max_credit        = wide(w, 60) ? RISK_OFF : order / 4 + (int64_t)pick(w, 3 * (uint64_t)order);
        l->max_turnover      = wide(w, 70) ? RISK_OFF : 2 * order + (int64_t)pick(w, 6 * (uint64_t)order);
        l->max_value         = loose(w, 2 * order);
        l->max_gross         = loose(w, 5 * order);
        l->max_net           = loose(w, 4 * order);
        l->concentration_bp  = wide(w, 50) ? 10000 : 2000 + (int64_t)pick(w, 6000);
        l->max_open_orders   = wide(w, 70) ? 500 : 1 + (int64_t)pick(w, 12);
        l->max_open_value    = loose(w, 3 * order);
        l->max_day_loss      = wide(w, 0) ? HUGE_VALUE : 1000 + (int64_t)pick(w, 9000);
        l->max_realised_loss = wide(w, 0) ? HUGE_VALUE : 1000 + (int64_t)pick(w, 9000);
        l->max_drawdown      = wide(w, 0) ? HUGE_VALUE : 1000 + (int64_t)pick(w, 9000);
        l->value_w_max       = loose(w, 4 * order);
        l->value_w_ns        = 500 * NS_PER_MS * (1 + id1);
        l->dup_n             = 1 + (int64_t)pick(w, 3);
        l->dup_w_ns          = l->rate_w_ns / (1 + (int64_t)pick(w, 3));
    } else if (scope == SCOPE_INSTRUMENT) {
        l->max_qty        = wide(w, 70) ? 1000000 : 40 + (int64_t)pick(w, 60);
        l->max_value      = loose(w, 2 * order);
        l->max_md_age_ns  = 500 * NS_PER_MS;
        l->max_spread_bp  = wide(w, 0) ? 500 : 20 + (int64_t)pick(w, 500);
        l->collar_bp      = wide(w, 0) ? 500 : 30 + (int64_t)pick(w, 300);
        l->far_bp         = wide(w, 0) ? 500 : 50 + (int64_t)pick(w, 500);
        l->vol_bp         = wide(w, 0) ? 5000 : 100 + (int64_t)pick(w, 500);
        l->vol_w_ns       = 200 * NS_PER_MS * id1;
        l->vol_pause_ns   = 100 * NS_PER_MS;
        l->adv_bp         = wide(w, 20) ? RISK_OFF : 100 + (int64_t)pick(w, 200);
        l->depth_bp       = wide(w, 60) ? RISK_OFF : 5000 + (int64_t)pick(w, 5000);
        l->use_prev_close = id1 == 3;
        l->margin_bp      = 1000 * id1;
        if (id1 == 4) { /* near zero a share of the price is nothing */
            l->max_spread_bp = 10000;
            l->vol_bp        = 20000 + (int64_t)pick(w, 300000);
            l->collar_bp     = 5000 + (int64_t)pick(w, 5000);
            l->far_bp        = 9999;
        }
    } else if (scope == SCOPE_ACCOUNT_INSTRUMENT || scope == SCOPE_STRATEGY_INSTRUMENT) {
        l->max_long  = wide(w, 50) ? 100000 : 50 + (int64_t)pick(w, 300);
        l->max_short = wide(w, 50) ? 100000 : 50 + (int64_t)pick(w, 300);
        if (scope == SCOPE_ACCOUNT_INSTRUMENT) {
            l->max_qty         = wide(w, 80) ? 1000000 : 40 + (int64_t)pick(w, 60);
            l->max_open_orders = wide(w, 70) ? 50 : 1 + (int64_t)pick(w, 8);
        }
    }
    (void)id2;
}

static void limits_change(world_t *w, scope_t scope, uint32_t id1, uint32_t id2)
{
    risk_limits_t l;
    limits_draw(w, scope, id1, id2, &l);
    if (risk_limits_set(w->risk, scope, id1, id2, &l) != ERR_OK) {
        fprintf(stderr, "%s\n", err_msg());
        abort();
    }
    risk_model_limits(w->model, scope, id1, id2, &l);
}

static void control(world_t *w, control_kind_t kind, scope_t scope, uint32_t id, int64_t value)
{
    const control_t c = {.kind = (uint8_t)kind, .scope_type = (uint8_t)scope, .scope_id = id, .value = value};
    MUST(risk_control(w->risk, &c) == ERR_OK);
    risk_model_control(w->model, &c);
    if (kind != CONTROL_KILL || scope == SCOPE_ACCOUNT_INSTRUMENT || scope == SCOPE_STRATEGY_INSTRUMENT ||
        scope == SCOPE_ACCOUNT_VENUE) {
        return;
    }
    for (uint32_t i = 0; i < w->kill_count; i++) {
        if (w->kills[i].scope_type == scope && w->kills[i].scope_id == id) {
            w->kills[i--] = w->kills[--w->kill_count];
        }
    }
    if (value != 0) {
        w->kills[w->kill_count++] = c;
    }
}

static void account_rights(world_t *w, uint32_t id, bool all)
{
    const risk_account_cfg_t cfg = {.tenant_id = id == 3 ? 2 : 1,
                                    .ccy       = ccy_pack(CCY),
                                    .money_exp = MONEY_EXP,
                                    .funds     = (uint8_t)(id - 1),
                                    .may_trade = all || !chance(w, 20),
                                    .may_short = all || !chance(w, 40),
                                    .ord_types = 1U << ORD_TYPE_LIMIT | 1U << ORD_TYPE_STOP |
                                                 1U << ORD_TYPE_STOP_LIMIT |
                                                 (all || !chance(w, 40) ? 1U << ORD_TYPE_MARKET : 0),
                                    .venues = 1U << 1 | (all || !chance(w, 40) ? 1U << 2 : 0)};
    MUST(risk_account_open(w->risk, id, &cfg) == ERR_OK);
    risk_model_account(w->model, id, &cfg);
}

static void market_move(world_t *w, uint32_t id)
{
    risk_md_t    *md     = &w->md[id];
    const int64_t centre = id == 4 ? 40 : 10000;
    const int64_t mid    = centre + 5 * (int64_t)pick(w, 41) - 100;
    md->bid_px           = mid - 1 - (int64_t)pick(w, 20);
    md->ask_px           = mid + 1 + (int64_t)pick(w, chance(w, 5) ? 600 : 20) - (chance(w, 3) ? 60 : 0);
    if (md->bid_px + md->ask_px >= -2 && md->bid_px + md->ask_px <= 2) {
        md->ask_px += 6; /* a reference of 0 is one that nothing can be valued at: the sheet does not say how */
    }
    md->has_bid        = !chance(w, 4);
    md->has_ask        = !chance(w, 4);
    md->bid_depth      = 40 + (int64_t)pick(w, 200);
    md->ask_depth      = 40 + (int64_t)pick(w, 200);
    md->has_prev_close = 1;
    md->prev_close     = centre;
    md->feed_gap       = chance(w, 3);
    md->book_mono_ns   = w->now.mono_ns - (chance(w, 10) ? 400 * NS_PER_MS : 0);
    if (chance(w, 30)) {
        md->has_last     = 1;
        md->last_px      = mid + (int64_t)pick(w, 30) - 15;
        md->last_px      = md->last_px == 0 ? 1 : md->last_px;
        md->last_mono_ns = w->now.mono_ns;
    }
}

/* Every instrument is marked at every step: a reference may have become another by age alone. */
static void mark_all(world_t *w)
{
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        risk_mark(w->risk, &w->ins[id], &w->md[id], w->now);
        risk_model_md(w->model, id, &w->md[id], w->now);
    }
}

static void instruments_open(world_t *w)
{
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        const bool             inverse = id == 3;
        const instrument_def_t def     = {.instrument_id  = id,
                                          .venue_id       = id <= 2 ? 1 : 2,
                                          .kind           = inverse                    ? INSTRUMENT_INVERSE
                                                            : id == 2 || id == FOREIGN ? INSTRUMENT_SPOT
                                                                                       : INSTRUMENT_LINEAR,
                                          .allow_negative = id == 4,
                                          .settle_ccy     = ccy_pack(id == FOREIGN ? "EUR" : CCY),
                                          .money_exp      = id == FOREIGN ? 3 : MONEY_EXP,
                                          .px_exp         = 2,
                                          .qty_exp        = id == 2 || id == FOREIGN ? 2 : 1,
                                          .mult_exp       = id == 1 ? 1 : 0,
                                          .mult           = inverse   ? 37
                                                            : id == 4 ? 200
                                                            : id == 1 ? 7
                                                                      : 1,
                                          .lot            = id == 1 ? 5 : 1,
                                          .min_qty        = 5,
                                          .min_notional   = id == 1 ? 60000000 : 0,
                                          .band_lower     = id == 2 ? 9890 : 0,
                                          .band_upper     = id == 2 ? 10130 : 0};
        const tick_band_t      band    = {.tick = 5};
        MUST(instrument_init(&w->ins[id], &def, "TEST", &band, 1) == ERR_OK);
        risk_model_instrument(w->model, &def, 5);
        market_move(w, id);
        w->md[id].has_bid = w->md[id].has_ask = 1;
    }
}

static void rate_move(world_t *w)
{
    const int64_t rate = 10000 + (int64_t)pick(w, 2000);
    MUST(risk_fx_set(w->risk, ccy_pack("EUR"), ccy_pack(CCY), rate, 4, w->now) == ERR_OK);
    risk_model_rate(w->model, rate, 4, w->now);
    w->rate_ns = w->now.mono_ns;
}

static void world_open(world_t *w, uint64_t seed, risk_model_fault_t fault, uint64_t *codes)
{
    risk_cfg_t        cfg;
    const order_cfg_t order = {.orders_max = 1024, .fills_max = 1024, .instruments_max = INSTRUMENTS};
    memset(w, 0, sizeof *w);
    w->x     = seed;
    w->codes = codes;
    w->plain = chance(w, 40);
    w->now   = (now_t){.mono_ns = 1000 * NS_PER_S, .utc_ns = 1700000000 * NS_PER_S};
    risk_cfg_default(&cfg);
    cfg.tenants_max      = 2;
    cfg.accounts_max     = ACCOUNTS;
    cfg.strategies_max   = STRATEGIES;
    cfg.instruments_max  = INSTRUMENTS;
    cfg.venues_max       = VENUES;
    cfg.window_max       = 64;
    cfg.value_window_max = 48;
    cfg.fills_window_max = 256;
    cfg.verdicts_max     = 1024;
    cfg.fx_max_age_ns    = 400 * NS_PER_MS;
    cfg.stp              = chance(w, 70) ? RISK_STP_TENANT : RISK_STP_ACCOUNT;
    w->model             = risk_model_new(&cfg, fault);
    w->bytes[0]          = order_footprint(&order);
    w->bytes[1]          = risk_footprint(&cfg);
    for (int i = 0; i < 2; i++) {
        w->mem[i] = memory(w->bytes[i]);
    }
    MUST(order_new(w->mem[0], &order) != NULL && risk_new(w->mem[1], &cfg) != NULL);
    w->orders = order_join(w->mem[0]);
    w->risk   = risk_join(w->mem[1]);
    for (uint32_t id = 1; id <= ACCOUNTS; id++) {
        account_rights(w, id, true);
        if (w->plain) {
            risk_equity(w->risk, id, HUGE_VALUE, HUGE_VALUE);
            risk_model_equity(w->model, id, HUGE_VALUE, HUGE_VALUE);
        }
        MUST(risk_strategy_open(w->risk, id, id == 3 ? 2 : 1, 1) == ERR_OK);
        risk_model_strategy(w->model, id, id == 3 ? 2 : 1, 1);
    }
    instruments_open(w);
    if (chance(w, 90)) {
        rate_move(w);
    }
    control(w, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 1);
    control(w, CONTROL_CLOCK, SCOPE_GLOBAL, 0, 1);
    for (uint32_t id = 1; id <= VENUES; id++) {
        control(w, CONTROL_VENUE_LINK, SCOPE_VENUE, id, 1);
        control(w, CONTROL_SESSION, SCOPE_VENUE, id, SESSION_OPEN);
        limits_change(w, SCOPE_VENUE, id, 0);
    }
    for (uint32_t id = 1; id <= ACCOUNTS; id++) {
        limits_change(w, SCOPE_ACCOUNT, id, 0);
        limits_change(w, SCOPE_STRATEGY, id, 0);
        for (uint32_t ins = 1; ins <= INSTRUMENTS; ins++) {
            if (!chance(w, 2)) {
                limits_change(w, SCOPE_ACCOUNT_INSTRUMENT, id, ins);
            }
            if (!chance(w, 2)) {
                limits_change(w, SCOPE_STRATEGY_INSTRUMENT, id, ins);
            }
        }
    }
    for (uint32_t ins = 1; ins <= INSTRUMENTS; ins++) {
        limits_change(w, SCOPE_INSTRUMENT, ins, 0);
        risk_volume(w->risk, ins, ins == 1 ? 0 : 4000);
        risk_model_volume(w->model, ins, ins == 1 ? 0 : 4000);
    }
    mark_all(w);
}

static void world_close(world_t *w)
{
    risk_model_free(w->model);
    free(w->mem[0]);
    free(w->mem[1]);
}

/* ---- comparing ------------------------------------------------------------------------------------------------------ */

#define DIFFERS(...) (snprintf(w->why, sizeof w->why, __VA_ARGS__), false)

static bool same_exposure(world_t *w, const risk_exposure_t *gate, const risk_exposure_t *model, const char *what,
                          uint32_t id, uint32_t ins, bool values)
{
    if (gate->pos != model->pos || gate->buy_open != model->buy_open || gate->sell_open != model->sell_open ||
        gate->worst_long != model->worst_long || gate->worst_short != model->worst_short) {
        return DIFFERS(
            "%s %u x %u: gate %" PRId64 " +%" PRId64 " -%" PRId64 ", model %" PRId64 " +%" PRId64 " -%" PRId64, what,
            id, ins, gate->pos, gate->buy_open, gate->sell_open, model->pos, model->buy_open, model->sell_open);
    }
    if (values && (gate->open_value != model->open_value || gate->open_orders != model->open_orders)) {
        return DIFFERS("%s %u x %u: gate open %" PRId64 " in %" PRId64 " orders, model %" PRId64 " in %" PRId64, what,
                       id, ins, gate->open_value, gate->open_orders, model->open_value, model->open_orders);
    }
    return true;
}

static bool compare(world_t *w)
{
    risk_exposure_t      gate, model;
    risk_account_state_t g, m;
    for (uint32_t id = 1; id <= ACCOUNTS; id++) {
        for (uint32_t ins = 1; ins <= INSTRUMENTS; ins++) {
            MUST(risk_exposure(w->risk, id, ins, &gate));
            risk_model_exposure(w->model, id, 0, ins, &model);
            if (!same_exposure(w, &gate, &model, "account", id, ins, true)) {
                return false;
            }
            MUST(risk_strategy_exposure(w->risk, id, ins, &gate));
            risk_model_exposure(w->model, 0, id, ins, &model);
            if (!same_exposure(w, &gate, &model, "strategy", id, ins, false)) {
                return false;
            }
        }
        MUST(risk_account_state(w->risk, id, &g));
        risk_model_account_state(w->model, id, &m);
        if (g.gross != m.gross || g.net_long != m.net_long || g.net_short != m.net_short ||
            g.open_value != m.open_value || g.open_orders != m.open_orders || g.need != m.need ||
            g.traded_value != m.traded_value) {
            return DIFFERS("account %u: gate gross %" PRId64 " net %" PRId64 " %" PRId64 " open %" PRId64
                           " need %" PRId64 " traded %" PRId64 ", model %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
                           " %" PRId64 " %" PRId64,
                           id, (int64_t)g.gross, (int64_t)g.net_long, (int64_t)g.net_short, (int64_t)g.open_value,
                           (int64_t)g.need, (int64_t)g.traded_value, (int64_t)m.gross, (int64_t)m.net_long,
                           (int64_t)m.net_short, (int64_t)m.open_value, (int64_t)m.need, (int64_t)m.traded_value);
        }
        if (g.latched != m.latched || g.killed != m.killed || g.reduce_only != m.reduce_only) {
            return DIFFERS("account %u: gate latched %u killed %u reduce %u, model %u %u %u", id, g.latched, g.killed,
                           g.reduce_only, m.latched, m.killed, m.reduce_only);
        }
    }
    const risk_counts_t n = risk_counts(w->risk);
    return n.accepted + n.rejected == n.received ? true : DIFFERS("%" PRIu64 " received, not the sum", n.received);
}

/* Invariants 3 and 7 of what has just passed. */
static bool passed_right(world_t *w, const order_req_t *req)
{
    for (uint32_t i = 0; i < w->kill_count; i++) {
        const control_t *k     = &w->kills[i];
        const uint32_t   venue = w->ins[req->instrument_id].def.venue_id;
        const uint32_t   mine  = k->scope_type == SCOPE_TENANT       ? req->tenant_id
                                 : k->scope_type == SCOPE_ACCOUNT    ? req->account_id
                                 : k->scope_type == SCOPE_STRATEGY   ? req->strategy_id
                                 : k->scope_type == SCOPE_INSTRUMENT ? req->instrument_id
                                 : k->scope_type == SCOPE_VENUE      ? venue
                                                                     : 0;
        if (mine == k->scope_id) {
            return DIFFERS("passed under a kill flag of scope %u", k->scope_type);
        }
    }
    return true;
}

/* ---- steps ------------------------------------------------------------------------------------------------------------ */

static order_req_t draw_request(world_t *w)
{
    const uint32_t account = 1 + (uint32_t)pick(w, ACCOUNTS);
    const uint32_t ins     = 1 + (uint32_t)pick(w, INSTRUMENTS);
    const int64_t  centre  = ins == 4 ? 40 : 10000;
    order_req_t    q       = {.action          = ORDER_ACTION_NEW,
                              .cl_ord_id       = cl_ord_id_make(1, 1, ++w->seq),
                              .tenant_id       = account == 3 ? 2 : 1,
                              .account_id      = account,
                              .strategy_id     = account == 3 ? 3 : (uint32_t)pick(w, 3),
                              .instrument_id   = ins,
                              .px              = centre + 5 * (int64_t)pick(w, 61) - 150,
                              .qty             = 5 * (1 + (int64_t)pick(w, 12)),
                              .created_mono_ns = w->now.mono_ns,
                              .side            = chance(w, 50) ? SIDE_BUY : SIDE_SELL,
                              .ord_type        = chance(w, 90) ? ORD_TYPE_LIMIT : ORD_TYPE_MARKET,
                              .tif             = chance(w, 80) ? TIF_GTC : TIF_IOC};
    if (chance(w, 8)) { /* one thing that is wrong, or an edge */
        switch (pick(w, 16)) {
        case 0: q.action = 9; break;
        case 1: q.side = 3; break;
        case 2: q.exec_inst = 64; break;
        case 3: q.cl_ord_id = cl_ord_id_make(1, 1, 0); break;
        case 4: q.instrument_id = chance(w, 50) ? 0 : INSTRUMENTS + 1; break;
        case 5: q.account_id = chance(w, 50) ? 0 : ACCOUNTS + 1; break;
        case 6: q.tenant_id = 3 - q.tenant_id; break;
        case 7: q.cl_ord_id = cl_ord_id_make(1, 1, w->seq - 1); break;
        case 8: q.qty = -(int64_t)pick(w, 2); break;
        case 9: q.qty += 1; break;
        case 10: q.qty = 4; break;
        case 11: q.px = -5 * (int64_t)pick(w, 3); break;
        case 12: q.px += 1; break;
        case 13: q.created_mono_ns -= 2 * NS_PER_S + (int64_t)pick(w, 2); break;
        case 14: q.created_mono_ns += NS_PER_S + (int64_t)pick(w, 2); break;
        default: q.strategy_id = STRATEGIES + 1; break;
        }
    }
    if (chance(w, 5)) {
        q.exec_inst = EXEC_INST_REDUCE_ONLY;
    }
    if (chance(w, 25) && w->id_count > 0) { /* again, under another id */
        const uint64_t id = q.cl_ord_id;
        q                 = w->sent[w->id_count - 1];
        q.cl_ord_id       = id;
        q.created_mono_ns = w->now.mono_ns;
        if (q.account_id < 3 && chance(w, 30)) { /* or in another account */
            q.account_id = 3 - q.account_id;
        }
    }
    return q;
}

/* One of the orders that are open, mostly; w->id_count when there is none. */
static uint32_t draw_order(world_t *w)
{
    uint64_t       open[32];
    const uint32_t n = risk_model_open(w->model, open, 32);
    if (w->id_count == 0) {
        return 0;
    }
    if (n == 0 || chance(w, 4)) {
        return chance(w, 20) ? (uint32_t)pick(w, w->id_count) : w->id_count;
    }
    const uint64_t id = open[pick(w, n)];
    uint32_t       at = 0;
    while (w->ids[at] != id) {
        at++;
    }
    return at;
}

/* Why the gate is asked: mostly for a client's order; for one that will wait, one that has waited, one of a flatten. */
static risk_mode_t draw_mode(world_t *w, order_req_t *q)
{
    static const uint8_t types[] = {ORD_TYPE_LIMIT, ORD_TYPE_STOP, ORD_TYPE_STOP_LIMIT, ORD_TYPE_MARKET};
    const uint64_t       what    = pick(w, 100);
    if (what < 10 && w->held_count < 16) {
        q->ord_type = types[pick(w, 4)];
        q->tif      = chance(w, 30) ? TIF_GTD : q->tif;
        return RISK_MODE_HOLD;
    }
    if (what < 25 && w->held_count > 0) {
        const uint32_t i = (uint32_t)pick(w, w->held_count);
        *q               = w->held[i];
        w->held[i]       = w->held[--w->held_count];
        q->ord_type      = q->ord_type == ORD_TYPE_STOP         ? ORD_TYPE_MARKET
                           : q->ord_type == ORD_TYPE_STOP_LIMIT ? ORD_TYPE_LIMIT
                                                                : q->ord_type;
        return RISK_MODE_RELEASE;
    }
    if (what < 28 && q->cl_ord_id == cl_ord_id_make(1, 1, w->seq)) {
        q->tif = chance(w, 50) ? TIF_GTD : q->tif; /* an id that nobody has seen: counted now */
        return RISK_MODE_RELEASE;
    }
    return what < 36 ? RISK_MODE_FLATTEN : RISK_MODE_ORDER;
}

static bool step_request(world_t *w)
{
    order_req_t    q      = draw_request(w);
    const uint32_t at     = draw_order(w);
    bool           change = at < w->id_count && chance(w, 30);
    risk_mode_t    mode   = change ? RISK_MODE_ORDER : draw_mode(w, &q);
    if (change) {
        const uint64_t     id  = q.cl_ord_id;
        const order_req_t *was = &w->sent[at];
        const uint32_t     row = order_find(w->orders, w->ids[at]);
        q.orig_cl_ord_id       = w->ids[at];
        q.action               = chance(w, 30) ? ORDER_ACTION_CANCEL : ORDER_ACTION_REPLACE;
        q.account_id           = was->account_id;
        q.tenant_id            = was->tenant_id;
        q.strategy_id          = was->strategy_id;
        q.instrument_id        = chance(w, 97) ? was->instrument_id : q.instrument_id;
        q.side                 = was->side;
        q.ord_type             = ORD_TYPE_LIMIT;
        q.px                   = chance(w, 50) ? was->px / 5 * 5 + 5 * (int64_t)pick(w, 5) - 10 : q.px;
        q.cl_ord_id            = id;
        q.tif                  = TIF_GTC;
        if (q.action == ORDER_ACTION_REPLACE && row != ORDER_NONE && order_at(w->orders, row)->replaces >= 4) {
            return true;
        }
    }
    const uint32_t       row   = q.action == ORDER_ACTION_NEW ? ORDER_NONE : order_find(w->orders, q.orig_cl_ord_id);
    const bool           known = q.instrument_id >= 1 && q.instrument_id <= INSTRUMENTS;
    const risk_in_t      in    = {.req       = &q,
                                  .ins       = known ? &w->ins[q.instrument_id] : NULL,
                                  .md        = known ? &w->md[q.instrument_id] : NULL,
                                  .target    = row == ORDER_NONE ? NULL : order_at(w->orders, row),
                                  .orders    = w->orders,
                                  .now       = w->now,
                                  .order_seq = ++w->asked,
                                  .mode      = mode};
    risk_out_t           out;
    risk_model_verdict_t said;
    risk_check(w->risk, &in, &out);
    risk_model_check(w->model, &q, mode, w->asked, w->now, &said);
    const verdict_t *v = &out.verdict;
    w->codes[v->code]++;
    if (v->code != said.code || v->scope_type != said.scope_type || v->scope_id != said.scope_id ||
        (v->code != RISK_ORDER_NOT_OPEN && v->observed != said.observed) || v->limit != said.limit ||
        (v->code == 0 && q.action != ORDER_ACTION_CANCEL && (out.px != said.px || out.px_value != said.px_value))) {
        return DIFFERS("mode %u action %u side %u qty %" PRId64 " px %" PRId64 " ins %u: gate %u scope %u/%u %" PRId64
                       " limit %" PRId64 " px %" PRId64 ", model %u scope %u/%u %" PRId64 " limit %" PRId64
                       " px %" PRId64,
                       (unsigned)mode, q.action, q.side, q.qty, q.px, q.instrument_id, v->code, v->scope_type,
                       v->scope_id, v->observed, v->limit, out.px, said.code, (unsigned)said.scope_type, said.scope_id,
                       said.observed, said.limit, said.px);
    }
    if (v->code != RISK_ACCEPTED) {
        return true;
    }
    if (mode == RISK_MODE_HOLD) {
        w->held[w->held_count++] = q;
        return passed_right(w, &q);
    }
    if (q.action == ORDER_ACTION_CANCEL) {
        order_cancel_sent(w->orders, row, w->now);
        return true;
    }
    if (q.action == ORDER_ACTION_NEW) {
        order_req_t sent      = q;
        sent.px               = out.px;
        w->sent[w->id_count]  = q;
        w->ids[w->id_count++] = q.cl_ord_id;
        order_open(w->orders, &sent, out.px_value);
    } else {
        w->replace[at] = q;
        order_replace_sent(w->orders, row, out.px, out.px_value, q.qty);
    }
    return mode == RISK_MODE_FLATTEN || passed_right(w, &q);
}

static void tell(world_t *w, exec_report_t report)
{
    order_effect_t effect;
    order_apply_exec(w->orders, &report, &w->ins[report.instrument_id], &effect);
    MUST(risk_exec(w->risk, &w->ins[report.instrument_id], &effect));
    if (effect.booked && report.exec_type == EXEC_TYPE_TRADE) {
        risk_traded(w->risk, &effect, w->now);
    }
    risk_model_report(w->model, &report, w->now);
}

static bool step_report(world_t *w)
{
    static const uint8_t kinds[] = {EXEC_TYPE_NEW,      EXEC_TYPE_NEW,     EXEC_TYPE_TRADE,        EXEC_TYPE_TRADE,
                                    EXEC_TYPE_TRADE,    EXEC_TYPE_TRADE,   EXEC_TYPE_CANCELED,     EXEC_TYPE_EXPIRED,
                                    EXEC_TYPE_REJECTED, EXEC_TYPE_TIMEOUT, EXEC_TYPE_CANCEL_REJECT};
    const uint32_t       at      = draw_order(w);
    if (w->report_count > 0 && chance(w, 10)) { /* an execution is told again, or undone */
        exec_report_t again = w->reports[pick(w, w->report_count)];
        again.exec_type     = chance(w, 50) ? EXEC_TYPE_TRADE : EXEC_TYPE_TRADE_CANCEL;
        tell(w, again);
        return true;
    }
    if (at >= w->id_count) {
        return true;
    }
    const order_req_t *q      = &w->sent[at];
    exec_report_t      report = {.exec_type     = kinds[pick(w, sizeof kinds)],
                                 .cl_ord_id     = w->ids[at],
                                 .account_id    = q->account_id,
                                 .strategy_id   = q->strategy_id,
                                 .instrument_id = q->instrument_id,
                                 .side          = q->side,
                                 .cum_qty       = -1,
                                 .leaves_qty    = -1,
                                 .ts_event_ns   = w->now.utc_ns,
                                 .ts_recv_ns    = w->now.utc_ns};
    const uint32_t     row    = order_find(w->orders, w->ids[at]);
    if (row != ORDER_NONE && order_at(w->orders, row)->replaces > 0 && chance(w, 60)) {
        report.exec_type = chance(w, 60) ? EXEC_TYPE_REPLACED : EXEC_TYPE_REPLACE_REJECT;
        report.order_qty = w->replace[at].qty;
        report.px        = w->replace[at].px;
        if (report.px == 0) {
            return true; /* 0 would say that the venue does not say */
        }
    }
    if (report.exec_type == EXEC_TYPE_TRADE) {
        const int64_t leaves = risk_model_leaves(w->model, w->ids[at]);
        report.last_qty      = leaves > 1 ? 1 + (int64_t)pick(w, (uint64_t)leaves) : 1;
        report.last_qty += chance(w, 1) ? 50 : 0;
        report.last_px                                 = q->px > 0 || (q->px < 0 && q->instrument_id == 4) ? q->px : 5;
        report.exec_id_lo                              = ++w->exec;
        w->reports[w->report_count++ % STEPS_OF_WORLD] = report;
    }
    tell(w, report);
    return true;
}

static bool step_control(world_t *w)
{
    if (w->plain && chance(w, 80)) {
        return true;
    }
    const uint32_t id  = 1 + (uint32_t)pick(w, ACCOUNTS);
    const uint32_t ins = 1 + (uint32_t)pick(w, INSTRUMENTS);
    switch (pick(w, 20)) {
    case 16: control(w, CONTROL_KILL, SCOPE_ACCOUNT_INSTRUMENT, id, chance(w, 20) ? ins : -(int64_t)ins); break;
    case 17: control(w, CONTROL_KILL, SCOPE_STRATEGY_INSTRUMENT, id, chance(w, 20) ? ins : -(int64_t)ins); break;
    case 18:
        control(w, CONTROL_KILL, SCOPE_ACCOUNT_VENUE, id, chance(w, 20) ? 1 + ins % 2 : -1 - (int64_t)ins % 2);
        break;
    case 19: control(w, CONTROL_ENABLE, SCOPE_STRATEGY, id, 0); break;
    case 0: control(w, CONTROL_KILL, SCOPE_GLOBAL, 0, chance(w, 15)); break;
    case 1: control(w, CONTROL_KILL, SCOPE_TENANT, 1 + (uint32_t)pick(w, 2), chance(w, 20)); break;
    case 2: control(w, CONTROL_KILL, SCOPE_ACCOUNT, id, chance(w, 20)); break;
    case 3: control(w, CONTROL_KILL, SCOPE_STRATEGY, id, chance(w, 30)); break;
    case 4: control(w, CONTROL_KILL, SCOPE_INSTRUMENT, 1 + (uint32_t)pick(w, INSTRUMENTS), chance(w, 30)); break;
    case 5: control(w, CONTROL_KILL, SCOPE_VENUE, 1 + (uint32_t)pick(w, VENUES), chance(w, 20)); break;
    case 6:
        control(w, CONTROL_SESSION, SCOPE_INSTRUMENT, 1 + (uint32_t)pick(w, INSTRUMENTS),
                chance(w, 60) ? SESSION_OPEN : 1 + (int64_t)pick(w, 5));
        break;
    case 7:
        control(w, CONTROL_SESSION, SCOPE_VENUE, 1 + (uint32_t)pick(w, VENUES),
                chance(w, 75) ? SESSION_OPEN : 1 + (int64_t)pick(w, 5));
        break;
    case 8: control(w, CONTROL_REDUCE_ONLY, SCOPE_ACCOUNT, id, chance(w, 25)); break;
    case 9: control(w, CONTROL_RECOVERING, SCOPE_ACCOUNT, id, chance(w, 20)); break;
    case 10: control(w, CONTROL_UNRECONCILED, SCOPE_ACCOUNT, id, chance(w, 20)); break;
    case 11: control(w, CONTROL_VENUE_LINK, SCOPE_VENUE, 1 + (uint32_t)pick(w, VENUES), chance(w, 85)); break;
    case 12: control(w, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, chance(w, 85)); break;
    case 13: control(w, CONTROL_CLOCK, SCOPE_GLOBAL, 0, chance(w, 85)); break;
    case 14: control(w, CONTROL_RING_FULL, SCOPE_VENUE, 1 + (uint32_t)pick(w, VENUES), chance(w, 15)); break;
    default:
        control(w, CONTROL_CLEAR_LATCH, SCOPE_ACCOUNT, id, 0);
        control(w, CONTROL_KILL, SCOPE_ACCOUNT, id, 0);
        break;
    }
    return true;
}

static bool step_rights(world_t *w)
{
    const uint32_t id = 1 + (uint32_t)pick(w, ACCOUNTS), ins = 1 + (uint32_t)pick(w, INSTRUMENTS);
    const bool     on = chance(w, 70);
    switch (pick(w, 4)) {
    case 0: account_rights(w, id, chance(w, 60)); break;
    case 1:
        MUST(risk_permit(w->risk, id, ins, on) == ERR_OK);
        risk_model_permit(w->model, id, ins, on);
        break;
    case 2:
        MUST(risk_restrict(w->risk, ins, !on) == ERR_OK);
        risk_model_restrict(w->model, ins, !on);
        break;
    default:
        MUST(risk_strategy_open(w->risk, id, id == 3 ? 2 : 1, on) == ERR_OK);
        risk_model_strategy(w->model, id, id == 3 ? 2 : 1, on);
        break;
    }
    return true;
}

static bool step_limits(world_t *w)
{
    static const scope_t scopes[] = {SCOPE_ACCOUNT, SCOPE_STRATEGY,           SCOPE_INSTRUMENT,
                                     SCOPE_VENUE,   SCOPE_ACCOUNT_INSTRUMENT, SCOPE_STRATEGY_INSTRUMENT,
                                     SCOPE_TENANT,  SCOPE_TENANT_INSTRUMENT,  SCOPE_GLOBAL};
    const scope_t        scope    = scopes[pick(w, 9)];
    const uint32_t       ins      = 1 + (uint32_t)pick(w, INSTRUMENTS);
    const bool           pair =
        scope == SCOPE_ACCOUNT_INSTRUMENT || scope == SCOPE_STRATEGY_INSTRUMENT || scope == SCOPE_TENANT_INSTRUMENT;
    const bool     two = scope == SCOPE_VENUE || scope == SCOPE_TENANT || scope == SCOPE_TENANT_INSTRUMENT;
    const uint32_t id  = scope == SCOPE_GLOBAL       ? 0
                         : scope == SCOPE_INSTRUMENT ? ins
                                                     : 1 + (uint32_t)pick(w, two ? 2 : ACCOUNTS);
    limits_change(w, scope, id, pair ? ins : 0);
    return true;
}

/* Money of an account, or what a venue says of its own limit. */
static bool step_facts(world_t *w)
{
    const uint32_t id = 1 + (uint32_t)pick(w, ACCOUNTS);
    if (chance(w, 50)) {
        const int64_t equity = (int64_t)pick(w, 300000000), cash = (int64_t)pick(w, 200000000);
        risk_equity(w->risk, id, equity, cash);
        risk_model_equity(w->model, id, equity, cash);
        return true;
    }
    const venue_budget_t budget = {.venue_id          = (uint16_t)(1 + pick(w, VENUES)),
                                   .used              = (int64_t)pick(w, 20),
                                   .limit             = chance(w, 30) ? 0 : 10 + (int64_t)pick(w, 30),
                                   .w_ns              = 100 * NS_PER_MS * (int64_t)pick(w, 5),
                                   .hold_until_utc_ns = chance(w, 85) ? 0 : w->now.utc_ns + 20 * NS_PER_MS};
    MUST(risk_budget(w->risk, &budget, w->now) == ERR_OK);
    risk_model_budget(w->model, &budget, w->now);
    return true;
}

static bool step_loss(world_t *w)
{
    const uint32_t    id  = 1 + (uint32_t)pick(w, ACCOUNTS);
    const bool        bad = chance(w, 12);
    const risk_pnl_t  pnl = {.day      = bad ? -(int64_t)pick(w, 12000) : (int64_t)pick(w, 900) - 500,
                             .realised = bad ? -(int64_t)pick(w, 12000) : (int64_t)pick(w, 900) - 500,
                             .equity   = bad ? -(int64_t)pick(w, 12000) : (int64_t)pick(w, 900) - 500};
    risk_loss_event_t event;
    risk_loss(w->risk, id, &pnl, w->now, &event);
    risk_model_loss(w->model, id, &pnl, w->now);
    if (event.level == RISK_LOSS_KILL) {
        w->kills[w->kill_count++] =
            (control_t){.kind = CONTROL_KILL, .scope_type = SCOPE_ACCOUNT, .scope_id = id, .value = 1};
    }
    return true;
}

static void advance(world_t *w)
{
    static const int64_t steps[] = {0, 0, 0, 1, 10 * NS_PER_MS, 10 * NS_PER_MS, 50 * NS_PER_MS, 100 * NS_PER_MS};
    int64_t              by      = steps[pick(w, 8)];
    by                           = chance(w, 1) ? 61 * NS_PER_S : by;
    by                           = pick(w, 500) == 0 ? NS_PER_DAY : by;
    const int64_t day            = w->now.utc_ns / NS_PER_DAY;
    w->now.mono_ns += by;
    w->now.utc_ns += by;
    if (w->now.utc_ns / NS_PER_DAY != day) {
        risk_day(w->risk);
    }
}

/* Returns false, and why, when gate and model differ. */
static bool step(world_t *w)
{
    advance(w);
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        if (chance(w, 20) || (w->now.mono_ns - w->md[id].book_mono_ns > 400 * NS_PER_MS && chance(w, 80))) {
            market_move(w, id);
        }
    }
    const risk_md_t *eur = &w->md[FOREIGN]; /* a rate is worth something at the next mark: there must be one */
    if (eur->has_bid && eur->has_ask && eur->bid_px < eur->ask_px &&
        w->now.mono_ns - eur->book_mono_ns <= 500 * NS_PER_MS &&
        chance(w, w->now.mono_ns - w->rate_ns > 300 * NS_PER_MS ? 60 : 5)) {
        rate_move(w);
    }
    mark_all(w);
    uint64_t what = pick(w, 100);
    if (w->plain && what >= 86 && chance(w, 85)) {
        what -= 40;
    }
    const bool good = what < 60   ? step_request(w)
                      : what < 86 ? step_report(w)
                      : what < 92 ? step_control(w)
                      : what < 94 ? step_rights(w)
                      : what < 96 ? step_limits(w)
                      : what < 98 ? step_facts(w)
                                  : step_loss(w);
    if (pick(w, 100) == 0) {
        const uint64_t before = risk_hash(order_hash(0, w->orders), w->risk);
        move(w);
        if (risk_hash(order_hash(0, w->orders), w->risk) != before) {
            return DIFFERS("another hash on other memory");
        }
    }
    return good && compare(w);
}

/* Steps until they differ; 0 = they never did. */
static uint64_t run(uint64_t seed, uint64_t steps, risk_model_fault_t fault, uint64_t *codes, char *why)
{
    uint64_t done = 0;
    world_t *w    = malloc(sizeof *w);
    MUST(w != NULL);
    while (done < steps) {
        bool good = true;
        world_open(w, seed + done * 0x9e37ULL, fault, codes);
        for (uint32_t i = 0; i < STEPS_OF_WORLD && good; i++) {
            good = step(w);
            done++;
        }
        if (!good) {
            snprintf(why, 256, "%s", w->why);
        }
        world_close(w);
        if (!good) {
            free(w);
            return done;
        }
    }
    free(w);
    return 0;
}

static uint64_t codes[RISK_SELF_TRADE + 1];

static void test_gate_is_model(void **state)
{
    (void)state;
    const uint64_t seed  = seeded_seed("risk_model");
    const uint64_t steps = getenv("HWAL_QUICK") ? 10000 : seeded_rounds(100000, 1000000);
    char           why[256];
    const uint64_t at = run(seed, steps, RISK_MODEL_RIGHT, codes, why);
    if (at != 0) {
        fail_msg("seed %" PRIu64 ", step %" PRIu64 ": %s", seed, at, why);
    }
    unsigned given = 0;
    for (unsigned code = 0; code <= RISK_SELF_TRADE; code++) {
        given += codes[code] > 0;
    }
    printf("risk_model: %" PRIu64 " steps, %" PRIu64 " accepted, %u codes:", steps, codes[0], given);
    for (unsigned code = 0; code <= RISK_SELF_TRADE; code++) {
        if (codes[code] > 0) {
            printf(" %u:%" PRIu64, code, codes[code]);
        }
    }
    printf("\n");
}

/* What the histories must have met, or they prove nothing of it. */
static void test_every_code_is_met(void **state)
{
    (void)state;
    static const uint16_t due[] = {101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 112, 113, 114, 115, 116,
                                   117, 121, 122, 123, 124, 125, 126, 127, 128, 141, 142, 143, 144, 145, 146,
                                   147, 148, 149, 150, 151, 152, 153, 154, 155, 156, 157, 158, 161, 162, 163,
                                   164, 181, 182, 183, 184, 201, 202, 221, 222, 223, 224, 225, 226, 227, 228,
                                   251, 252, 253, 271, 272, 273, 277, 291, 185, 203, 229, 230, 231, 275, 278};
    for (size_t i = 0; i < sizeof due / sizeof due[0]; i++) {
        if (codes[due[i]] == 0 && getenv("HWAL_QUICK") == NULL) {
            fail_msg("code %u was never given", due[i]);
        }
    }
}

static void test_planted_faults_are_found(void **state)
{
    (void)state;
    const uint64_t  seed = seeded_seed("risk_model faults");
    static uint64_t unused[RISK_SELF_TRADE + 1];
    for (risk_model_fault_t fault = RISK_MODEL_RIGHT + 1; fault < RISK_MODEL_FAULTS; fault++) {
        char           why[256];
        const uint64_t at = run(seed, 200000, fault, unused, why);
        if (at == 0) {
            fail_msg("planted fault %u of the model was not found in 200000 steps", (unsigned)fault);
        }
        printf("fault %2u found at step %6" PRIu64 ": %s\n", (unsigned)fault, at, why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_is_model),
        cmocka_unit_test(test_every_code_is_met),
        cmocka_unit_test(test_planted_faults_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
