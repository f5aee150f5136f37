#include "tools/setup.h"

#include <stdio.h>
#include <string.h>

#include "core/types/decimal.h"
#include "tools/limit_text.h"
#include "tools/strategy_spec.h"

#define TENANT_ID 1u
#define STALE_NS (2 * NS_PER_S)
#define MARGIN_BP_DEFAULT 2500 /* as risk.margin_bps */

/* ---- accounts ---------------------------------------------------------------------------------------------------- */
err_t setup_amount(const char *text, int32_t exp, int64_t *out)
{
    char        most[DECIMAL_TEXT_MAX];
    const err_t err = decimal_parse(text, strlen(text), (unsigned)exp, out);
    decimal_format(INT64_MAX, (unsigned)exp, most);
    return err ? err_set(ERR_CONFIG, "\"%s\" is no amount up to %s with at most %d decimals", text, most, exp) : ERR_OK;
}

err_t setup_begin(setup_t *setup, const config_t *config)
{
    *setup = (setup_t){.config = config};
    return ERR_OK;
}

static const setup_account_t *account_of(const setup_t *setup, uint64_t ccy)
{
    for (uint32_t i = 1; i <= setup->account_count; i++) {
        if (setup->accounts[i].ccy == ccy) {
            return &setup->accounts[i];
        }
    }
    return NULL;
}

/* Amounts of limits: those of the configuration's set for the currency, else shares of the initial money. */
static err_t account_limits(const config_t *c, setup_account_t *a)
{
    err_t err         = ERR_OK;
    a->order_value    = a->initial / 4;
    a->position_value = a->initial;
    a->open_value = a->gross = a->net = a->initial <= INT64_MAX / 4 ? a->initial * 4 : INT64_MAX;
    a->day_loss                       = a->initial / 10;
    a->drawdown                       = a->initial / 5;
    for (unsigned i = 0; i < c->risk_count; i++) { /* its own set, else that of its currency */
        const config_risk_t *r = &c->risk[i];
        const bool own = *r->account && a->configured && strcmp(r->account, config_account_name(a->configured)) == 0;
        const bool all = !*r->account && ccy_pack(r->currency) == a->ccy;
        if (own || (all && !a->risk)) {
            a->risk = r;
        }
    }
    const config_risk_t *r = a->risk;
    if (r) {
        const struct {
            const char *text;
            int64_t    *out;
        } rows[] = {{r->max_order_value, &a->order_value},
                    {r->max_position_value, &a->position_value},
                    {r->max_open_value, &a->open_value},
                    {r->max_gross, &a->gross},
                    {r->max_net, &a->net},
                    {r->max_day_loss, &a->day_loss},
                    {r->max_drawdown, &a->drawdown}};
        for (size_t k = 0; !err && k < sizeof rows / sizeof rows[0]; k++) {
            err = setup_amount(rows[k].text, a->money_exp, rows[k].out);
        }
    }
    return err;
}

/* configured: NULL for an account of a replay that nobody wrote down. */
static err_t account_add(setup_t *setup, uint64_t ccy, int32_t money_exp, int64_t initial_units,
                         const config_account_t *configured)
{
    const config_t *c = setup->config;
    char            name[9];
    ccy_text(ccy, name);
    if (setup->account_count == SETUP_ACCOUNTS_MAX) {
        return err_set(ERR_LIMIT, "account %s is one more than the %u that there may be", name, SETUP_ACCOUNTS_MAX);
    }
    setup_account_t a   = {.ccy = ccy, .money_exp = money_exp, .configured = configured};
    err_t           err = ERR_OK;
    a.initial           = initial_units * pow10_i64((unsigned)money_exp);
    err                 = configured ? setup_amount(configured->initial, money_exp, &a.initial) : ERR_OK;
    err                 = err ? err : account_limits(c, &a);
    if (err) {
        return err_wrap(err, "account %s", name);
    }
    setup->accounts[++setup->account_count] = a;
    return ERR_OK;
}

/* An instrument whose money has other decimals than the account in its currency could never be traded. */
static err_t scale_check(const setup_account_t *a, const instrument_t *ins)
{
    char name[9];
    return a->money_exp == ins->def.money_exp
               ? ERR_OK
               : err_set(ERR_CONFIG, "%s: money_exp %d, but %s has %d already", ins->symbol, ins->def.money_exp,
                         ccy_text(a->ccy, name), a->money_exp);
}

err_t setup_currency(setup_t *setup, const instrument_t *ins)
{
    const config_t         *c     = setup->config;
    const setup_account_t  *a     = account_of(setup, ins->def.settle_ccy);
    const config_account_t *named = NULL;
    for (unsigned i = c->accounts_count; i-- > 0;) { /* of several the first */
        named = ccy_pack(c->accounts[i].currency) == ins->def.settle_ccy ? &c->accounts[i] : named;
    }
    return a ? scale_check(a, ins)
             : account_add(setup, ins->def.settle_ccy, ins->def.money_exp,
                           ins->def.kind == INSTRUMENT_INVERSE ? 10 : 100000, named);
}

err_t setup_live(setup_t *setup)
{
    const config_t *c   = setup->config;
    err_t           err = c->accounts_count
                              ? ERR_OK
                              : err_set(ERR_CONFIG, "accounts: none is configured; a live instance needs at least one");
    for (unsigned i = 0; !err && i < c->accounts_count; i++) {
        const config_account_t *a = &c->accounts[i];
        err                       = account_add(setup, ccy_pack(a->currency), (int32_t)a->money_exp, 0, a);
    }
    setup->lane_count = c->lanes.clients_count;
    return err;
}

bool setup_lane(const setup_t *setup, uint32_t lane_id, lane_t *out)
{
    if (lane_id - 1 >= setup->lane_count) {
        return false;
    }
    const config_client_t *c = &setup->config->lanes.clients[lane_id - 1];
    out->lane_id             = lane_id;
    out->tenant_id           = TENANT_ID;
    out->strategy_id         = setup->strategy_count + lane_id;
    out->accounts            = (uint64_t)c->accounts;
    out->rights              = (uint16_t)c->rights;
    out->on_close            = (uint8_t)c->on_close;
    return true;
}

/* ---- sizes and strategies: each once in every account ------------------------------------------------------------ */
static err_t strategies_define(setup_t *setup, engine_cfg_t *cfg, char *const *specs, uint32_t count)
{
    static const char *const samples[] = {"market_maker", "sma_cross"};
    engine_strategy_cfg_t    parsed[CONFIG_STRATEGIES_MAX];
    const char *const       *list = (const char *const *)specs;
    if (count == 0 && setup->config->strategies_count) {
        list  = (const char *const *)setup->config->strategies;
        count = setup->config->strategies_count;
    } else if (count == 0) {
        list  = samples;
        count = 2;
    }
    const err_t err = strategy_specs_parse(list, count, parsed, &count);
    for (uint32_t i = 0; !err && i < count; i++) {
        for (uint32_t a = 1; a <= setup->account_count; a++) {
            if (cfg->strategy_count == ENGINE_STRATEGIES_MAX) {
                return err_set(ERR_CONFIG, "more than %u strategies times accounts", ENGINE_STRATEGIES_MAX);
            }
            parsed[i].cfg.account_id               = a;
            cfg->strategies[cfg->strategy_count++] = parsed[i];
        }
    }
    setup->strategy_count = cfg->strategy_count;
    return err;
}

err_t setup_engine_cfg(setup_t *setup, uint32_t instruments_max, char *const *specs, uint32_t count, engine_cfg_t *out)
{
    const config_engine_t *c   = &setup->config->engine;
    const mbo_cfg_t        mbo = {.orders_max = (uint32_t)c->mbo_orders, .levels_max = (uint32_t)c->mbo_levels};
    const book_cfg_t book = {.window_ticks = (uint32_t)c->book_window_ticks, .far_slots = (uint32_t)c->book_far_levels};
    *out                  = (engine_cfg_t){.tenant_id       = TENANT_ID,
                                           .instruments_max = instruments_max,
                                           .accounts_max    = setup->account_count,
                                           .orders_max      = (uint32_t)c->orders_max,
                                           .fills_max       = (uint32_t)c->orders_max,
                                           .lanes_max       = setup->lane_count,
                                           .stale_ns        = STALE_NS,
                                           .mbo_books       = (uint32_t)min_i64(c->mbo_books, instruments_max),
                                           .mbo             = mbo,
                                           .book            = book};
    risk_cfg_default(&out->risk);
    out->risk.stp_mode  = (uint32_t)c->stp_mode + 1;
    out->held_max       = (uint32_t)c->held_max;
    out->answer_ns      = c->answer_ms * NS_PER_MS;
    out->day_offset_min = (int32_t)c->day_offset_min;
    return strategies_define(setup, out, specs, count);
}

/* ---- records ----------------------------------------------------------------------------------------------------- */
typedef struct sink {
    setup_emit_t emit;
    void        *ctx;
} sink_t;

static err_t record(sink_t to, msg_type_t type, const void *body)
{
    const msg_t msg = {.type = type, .body = body};
    return to.emit(to.ctx, &msg);
}

static err_t limit_set(sink_t to, scope_t scope_type, uint32_t id1, uint32_t id2, const risk_limits_t *limits)
{
    limit_set_t set = {.scope_type = (uint8_t)scope_type, .scope_id = id1, .scope_id2 = id2};
    memcpy((char *)&set + offsetof(limit_set_t, max_qty), limits,
           RISK_SETUP_FIELDS * sizeof(int64_t)); /* the same fields: engine_recover.c */
    return record(to, MSG_LIMIT_SET, &set);
}

/* ---- changes by lane 0: what a LIMIT_SET cannot say, and what the configuration's lines say --------------------- */
typedef struct change {
    sink_t        to;
    uint64_t      id;
    limit_scope_t scope;
} change_t;

static err_t change_step(const change_t *c, limit_step_t step, uint32_t field, int64_t value)
{
    const limit_change_t body = {.change_id  = c->id,
                                 .value      = value,
                                 .scope_id   = c->scope.id1,
                                 .scope_id2  = c->scope.id2,
                                 .scope_type = (uint8_t)c->scope.type,
                                 .step       = (uint8_t)step,
                                 .field      = (uint16_t)field};
    return c->to.emit(c->to.ctx, &(msg_t){.type = MSG_LIMIT_CHANGE, .body = &body, .text = "configuration"});
}

static err_t change_one(const change_t *c, uint32_t field, int64_t value)
{
    err_t err = change_step(c, LIMIT_STEP_BEGIN, 0, 0);
    err       = err ? err : change_step(c, LIMIT_STEP_SET, field, value);
    return err ? err : change_step(c, LIMIT_STEP_COMMIT, 0, 0);
}

static err_t change_line(change_t *c, const char *rest, limit_scale_t scale)
{
    const char *value;
    uint32_t    field;
    size_t      len;
    int64_t     number;
    err_t       err = change_step(c, LIMIT_STEP_BEGIN, 0, 0);
    while (!err && (err = limit_line_next(&c->scope, &rest, &field, &value, &len)) == ERR_OK) {
        err = limit_value_parse(field, value, len, scale, &number);
        err = err ? err : change_step(c, LIMIT_STEP_SET, field, number);
    }
    return err == ERR_EMPTY ? change_step(c, LIMIT_STEP_COMMIT, 0, 0) : err;
}

/* Numbers of the set-up's changes: above them lie those of people, which are times. */
static uint64_t change_number(uint32_t instrument_id, unsigned line)
{
    return ((uint64_t)instrument_id << 16 | line) + 1;
}

static bool scope_of_instrument(const limit_scope_t *scope, const instrument_t *ins)
{
    char id[16];
    snprintf(id, sizeof id, "%u", ins->def.instrument_id);
    return strcmp(scope->symbol, ins->symbol) == 0 || strcmp(scope->symbol, id) == 0;
}

/* The lines of limits whose time has come. ins NULL: the start; priced: its first price, else its definition. */
static err_t lines(const setup_t *setup, sink_t to, const instrument_t *ins, bool priced)
{
    const config_t *c   = setup->config;
    err_t           err = ERR_OK;
    for (unsigned i = 0; !err && i < c->limits_count; i++) {
        const char *rest;
        change_t    change         = {.to = to, .id = change_number(ins ? ins->def.instrument_id : 0, i + 1)};
        err                        = limit_line_scope(c->limits[i], &change.scope, &rest);
        const limit_scope_t *s     = &change.scope;
        const bool           named = ins && *s->symbol && scope_of_instrument(s, ins);
        const bool           venue = ins && s->type == SCOPE_VENUE && s->id1 == ins->def.venue_id;
        if (err || (ins ? !(priced ? named : venue) : *s->symbol || s->type == SCOPE_VENUE)) {
            continue;
        }
        const uint32_t      account = s->type == SCOPE_ACCOUNT && s->id1 <= setup->account_count ? s->id1 : 1;
        const limit_scale_t scale   = {ins ? ins->def.qty_exp : -1,
                                     ins ? ins->def.money_exp : setup->accounts[account].money_exp};
        if (s->type == SCOPE_INSTRUMENT) {
            change.scope.id1 = ins->def.instrument_id;
        } else if (limit_scope_pair(s->type)) {
            change.scope.id2 = ins->def.instrument_id;
        }
        err = change_line(&change, rest, scale);
        err = err ? err_wrap(err, "limits: \"%s\"", c->limits[i]) : ERR_OK;
    }
    return err;
}

/* ---- money ------------------------------------------------------------------------------------------------------- */
static err_t amount(const char *text, unsigned exp, int64_t *out)
{
    return decimal_parse(text, strlen(text), exp, out) == ERR_OK
               ? ERR_OK
               : err_set(ERR_CONFIG, "\"%s\" has more than %u decimals, or does not fit", text, exp);
}

/* Its scale is that of the first account that names the schedule. */
static err_t schedule_tier(const setup_t *setup, sink_t to, const config_schedule_t *s, uint16_t tier, uint16_t tiers)
{
    fee_schedule_t body = {.schedule_id = (uint32_t)s->schedule,
                           .tier        = tier,
                           .tiers       = tiers,
                           .ccy         = *s->currency ? ccy_pack(s->currency) : 0};
    int32_t        exp  = -1;
    for (uint32_t i = setup->account_count; i >= 1; i--) {
        const setup_account_t *a = &setup->accounts[i];
        exp                      = a->configured && a->configured->fee_schedule == s->schedule ? a->money_exp : exp;
    }
    if (exp < 0) {
        return ERR_OK; /* nobody's */
    }
    err_t err = amount(s->from, 0, &body.from_value);
    err       = err ? err : amount(s->maker_bps, 4, &body.maker); /* basis points with 4 decimals are 10^-8 */
    err       = err ? err : amount(s->taker_bps, 4, &body.taker);
    err       = err ? err : amount(s->tax_buy_bps, 4, &body.tax_buy);
    err       = err ? err : amount(s->tax_sell_bps, 4, &body.tax_sell);
    err       = err ? err : amount(s->min_fee, (unsigned)exp, &body.min_fee);
    err       = err ? err : record(to, MSG_FEE_SCHEDULE, &body);
    return err ? err_wrap(err, "fee_schedules: schedule %u, tier %u", body.schedule_id, tier) : ERR_OK;
}

static err_t schedules(const setup_t *setup, sink_t to)
{
    const config_t *c   = setup->config;
    err_t           err = ERR_OK;
    for (unsigned i = 0; !err && i < c->schedules_count; i++) {
        uint16_t tier = 0, tiers = 0;
        for (unsigned k = 0; k < c->schedules_count; k++) {
            const bool same = c->schedules[k].schedule == c->schedules[i].schedule;
            tier            = (uint16_t)(tier + (same && k < i));
            tiers           = (uint16_t)(tiers + same);
        }
        err = schedule_tier(setup, to, &c->schedules[i], tier, tiers);
    }
    return err;
}

/* ins NULL: the rates that are said; else those that are its mid. Their time is that of the record that says them. */
static err_t rates(const setup_t *setup, sink_t to, const instrument_t *ins)
{
    const config_t *c   = setup->config;
    err_t           err = ERR_OK;
    for (unsigned i = 0; !err && i < c->fx_count; i++) {
        const config_fx_t *fx   = &c->fx[i];
        fx_rate_t          body = {.ccy = ccy_pack(fx->currency), .to_ccy = ccy_pack(fx->to)};
        if (ins && strcmp(fx->instrument, ins->symbol) == 0) {
            body.source = ins->def.instrument_id;
            err         = record(to, MSG_FX_RATE, &body);
        } else if (!ins && *fx->rate) {
            const char *point = strchr(fx->rate, '.');
            body.rate_exp     = (int8_t)(point ? strlen(point + 1) : 0);
            err               = amount(fx->rate, (unsigned)body.rate_exp, &body.rate);
            err               = err ? err : record(to, MSG_FX_RATE, &body);
        }
    }
    return err;
}

static uint8_t account_flags(const config_account_t *a)
{
    return (uint8_t)(a ? (a->hedging ? ACCOUNT_HEDGING : 0) | (a->cost == COST_FIFO ? ACCOUNT_FIFO : 0) |
                             (a->margin ? ACCOUNT_MARGIN : 0)
                       : ACCOUNT_MARGIN);
}

static err_t account_open(sink_t to, uint32_t id, const setup_account_t *a)
{
    const account_def_t def = {.account_id   = id,
                               .tenant_id    = TENANT_ID,
                               .ccy          = a->ccy,
                               .initial      = a->initial,
                               .money_exp    = (int8_t)a->money_exp,
                               .flags        = account_flags(a->configured),
                               .fee_schedule = a->configured ? (uint32_t)a->configured->fee_schedule : 0};
    risk_limits_t       limits;
    const err_t         err = record(to, MSG_ACCOUNT_DEF, &def);
    risk_limits_default(SCOPE_ACCOUNT, &limits);
    limits.max_value         = a->order_value;
    limits.max_gross         = a->gross;
    limits.max_net           = a->net;
    limits.max_open_value    = a->open_value;
    limits.max_day_loss      = a->day_loss;
    limits.max_realised_loss = a->day_loss;
    limits.max_drawdown      = a->drawdown;
    limits.value_w_max       = INT64_MAX / 4; /* no bar of its own: rates and open value bound it */
    if (a->risk) {
        limits.max_open_orders  = a->risk->max_open_orders_account;
        limits.concentration_bp = a->risk->concentration_bps;
        limits.rate_n           = a->risk->orders_per_s;
        limits.msg_n            = a->risk->messages_per_s;
    }
    return err ? err : limit_set(to, SCOPE_ACCOUNT, id, 0, &limits);
}

err_t setup_open(const setup_t *setup, setup_emit_t emit, void *ctx)
{
    const sink_t    to    = {emit, ctx};
    const control_t ok[2] = {{.kind = CONTROL_JOURNAL, .scope_type = SCOPE_GLOBAL, .value = 1},
                             {.kind = CONTROL_CLOCK, .scope_type = SCOPE_GLOBAL, .value = 1}};
    risk_limits_t   limits;
    err_t           err = schedules(setup, to);
    for (uint32_t i = 1; !err && i <= setup->account_count; i++) {
        err = account_open(to, i, &setup->accounts[i]);
    }
    err = err ? err : rates(setup, to, NULL);
    risk_limits_default(SCOPE_STRATEGY, &limits);
    for (uint32_t i = 1; !err && i <= setup->strategy_count; i++) {
        err = limit_set(to, SCOPE_STRATEGY, i, 0, &limits);
    }
    for (uint32_t i = 1; !err && i <= setup->lane_count; i++) {
        const config_client_t *c = &setup->config->lanes.clients[i - 1];
        limits.rate_n            = c->orders_per_s;
        limits.msg_n             = c->messages_per_s;
        err                      = limit_set(to, SCOPE_STRATEGY, setup->strategy_count + i, 0, &limits);
    }
    err = err ? err : lines(setup, to, NULL, false);
    for (int i = 0; !err && i < 2; i++) {
        err = record(to, MSG_CONTROL, &ok[i]);
    }
    return err;
}

err_t setup_instrument(const setup_t *setup, const instrument_t *ins, setup_emit_t emit, void *ctx)
{
    risk_limits_t limits;
    for (uint32_t i = 1; i <= setup->account_count; i++) {
        if (setup->accounts[i].ccy == ins->def.settle_ccy && scale_check(&setup->accounts[i], ins) != ERR_OK) {
            return ERR_CONFIG;
        }
    }
    risk_limits_default(SCOPE_VENUE, &limits);
    limits.rate_n = limits.msg_n = limits.cancel_n = 1024; /* an account's own limits bind first */
    const sink_t to                                = {emit, ctx};
    err_t        err                               = limit_set(to, SCOPE_VENUE, ins->def.venue_id, 0, &limits);
    err                                            = err ? err : rates(setup, to, ins);
    return err ? err : lines(setup, to, ins, false);
}

/* Quantity whose value at px is at most value; every kind is linear in quantity. */
static int64_t quantity_of(const instrument_t *ins, int64_t value, int64_t px)
{
    int64_t       one, qty;
    const int64_t unit = pow10_i64((unsigned)ins->def.qty_exp);
    if (!instrument_notional(ins, px, unit, &one) || one <= 0 || !fit_i64(mul_i64(value, unit) / one, &qty)) {
        return 0;
    }
    return qty;
}

static err_t price_account(sink_t to, uint32_t account_id, const setup_account_t *a, const instrument_t *ins,
                           int64_t order_qty, int64_t position_qty)
{
    risk_limits_t limits;
    risk_limits_default(SCOPE_ACCOUNT_INSTRUMENT, &limits);
    limits.max_qty  = order_qty;
    limits.max_long = limits.max_short = position_qty;
    if (a->risk) {
        limits.max_open_orders = a->risk->max_open_orders_instrument;
    }
    return limit_set(to, SCOPE_ACCOUNT_INSTRUMENT, account_id, ins->def.instrument_id, &limits);
}

bool setup_first_price(const msg_t *msg, uint32_t *id, int64_t *px)
{
    uint32_t flags = 0;
    if (msg->type == MSG_BOOK_UPDATE && msg->tail_count) {
        *id   = ((const book_update_t *)msg->body)->instrument_id;
        *px   = ((const level_t *)msg->tail)->px;
        flags = ((const book_update_t *)msg->body)->flags;
    } else if (msg->type == MSG_MBO_UPDATE && msg->tail_count) {
        *id   = ((const mbo_update_t *)msg->body)->instrument_id;
        *px   = ((const mbo_entry_t *)msg->tail)->px;
        flags = ((const mbo_update_t *)msg->body)->flags;
    }
    return (flags & BOOK_FLAG_SNAPSHOT) != 0;
}

/* The largest that any account in the instrument's currency may have; none: nothing is allowed, which is a limit too. */
static setup_account_t largest_of(const setup_t *setup, const instrument_t *ins)
{
    setup_account_t all = {0};
    for (uint32_t i = setup->account_count; i >= 1; i--) {
        const setup_account_t *a = &setup->accounts[i];
        if (a->ccy == ins->def.settle_ccy) {
            all.order_value    = max_i64(all.order_value, a->order_value);
            all.position_value = max_i64(all.position_value, a->position_value);
            all.risk           = a->risk ? a->risk : all.risk;
        }
    }
    return all;
}

static err_t price_instrument(sink_t to, const setup_account_t *all, const instrument_t *ins, int64_t order_qty)
{
    const change_t change = {.to    = to,
                             .id    = change_number(ins->def.instrument_id, 0),
                             .scope = {.type = SCOPE_INSTRUMENT, .id1 = ins->def.instrument_id}};
    risk_limits_t  limits;
    risk_limits_default(SCOPE_INSTRUMENT, &limits);
    limits.max_qty   = order_qty;
    limits.max_value = all->order_value;
    if (all->risk) {
        limits.max_md_age_ns = all->risk->max_md_age_ms * NS_PER_MS;
        limits.max_spread_bp = all->risk->max_spread_bps;
        limits.collar_bp     = all->risk->collar_bps;
        limits.far_bp        = all->risk->far_bps;
    }
    const err_t err = limit_set(to, SCOPE_INSTRUMENT, ins->def.instrument_id, 0, &limits);
    return err ? err : change_one(&change, RISK_FIELD_margin_bp, all->risk ? all->risk->margin_bps : MARGIN_BP_DEFAULT);
}

err_t setup_price(const setup_t *setup, const instrument_t *ins, int64_t px, setup_emit_t emit, void *ctx)
{
    const sink_t          to           = {emit, ctx};
    const setup_account_t all          = largest_of(setup, ins);
    const int64_t         position_qty = quantity_of(ins, all.position_value, px);
    risk_limits_t         limits;
    err_t                 err = price_instrument(to, &all, ins, quantity_of(ins, all.order_value, px));
    for (uint32_t i = 1; !err && i <= setup->account_count; i++) {
        const setup_account_t *a = &setup->accounts[i];
        if (a->ccy == ins->def.settle_ccy) {
            err = price_account(to, i, a, ins, quantity_of(ins, a->order_value, px),
                                quantity_of(ins, a->position_value, px));
        }
    }
    const bool known = account_of(setup, ins->def.settle_ccy) != NULL;
    for (uint32_t s = 1; !err && known && s <= setup->strategy_count + setup->lane_count; s++) {
        risk_limits_default(SCOPE_STRATEGY_INSTRUMENT, &limits);
        limits.max_long = limits.max_short = position_qty;
        err = limit_set(to, SCOPE_STRATEGY_INSTRUMENT, s, ins->def.instrument_id, &limits);
    }
    return err ? err : lines(setup, to, ins, true);
}
