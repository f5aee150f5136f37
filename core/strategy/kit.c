#include "core/strategy/kit.h"

#include <string.h>

#define STRIKES_MAX 6u /* 2^6 = 64 times */

/* ---- settings ---------------------------------------------------------------------------------------------------- */

static bool known_name(const kit_param_t *known, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strncmp(known[i].name, name, sizeof(((strategy_param_t *)0)->name)) == 0) {
            return true;
        }
    }
    return false;
}

err_t kit_params(const strategy_cfg_t *cfg, const char *strategy, const kit_param_t *known, uint32_t count,
                 int64_t *values)
{
    if (cfg->account_id == 0) {
        return err_set(ERR_CONFIG, "%s: account is 0, limit an account", strategy);
    }
    if (cfg->param_count > STRATEGY_PARAMS_MAX) {
        return err_set(ERR_CONFIG, "%s: %u parameters, limit %u", strategy, cfg->param_count, STRATEGY_PARAMS_MAX);
    }
    for (uint32_t i = 0; i < cfg->param_count; i++) {
        if (!known_name(known, count, cfg->params[i].name)) {
            return err_set(ERR_CONFIG, "%s: parameter \"%.23s\" is not known", strategy, cfg->params[i].name);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        values[i] = strategy_param(cfg, known[i].name, known[i].fallback);
        if (values[i] < known[i].low || values[i] > known[i].high) {
            return err_set(ERR_CONFIG, "%s: parameter %s is %lld, limit %lld..%lld", strategy, known[i].name,
                           (long long)values[i], (long long)known[i].low, (long long)known[i].high);
        }
    }
    return ERR_OK;
}

/* ---- size -------------------------------------------------------------------------------------------------------- */

/* Size of one lot's value, rounded down, so that n lots are worth at least n times it. 0 = none. */
static i128_t lot_value_nano(const instrument_t *ins, int64_t px)
{
    i128_t value = 0;
    if (!instrument_value_nano(ins, px, ins->def.lot, &value)) {
        return 0;
    }
    if (value < 0 && !instrument_value_nano(ins, px, -ins->def.lot, &value)) {
        return 0;
    }
    return value;
}

int64_t kit_size(const instrument_t *ins, int64_t px, int64_t notional)
{
    const instrument_def_t *def       = &ins->def;
    const i128_t            lot_value = lot_value_nano(ins, px);
    if (lot_value <= 0) {
        return 0;
    }
    i128_t lots = mul_i64(notional, pow10_i64((unsigned)def->money_exp)) * pow10_i64(MONEY_NANO_EXP) / lot_value;
    if (def->kind == INSTRUMENT_INVERSE) {
        lots = mul_i64(notional, pow10_i64((unsigned)(def->qty_exp + def->mult_exp))) / mul_i64(def->lot, def->mult);
    }
    const i128_t least_qty   = div_ceil(def->min_qty, def->lot);
    const i128_t least_value = div_ceil(mul_i64(def->min_notional, pow10_i64(MONEY_NANO_EXP)), lot_value);
    lots                     = lots < least_qty ? least_qty : lots;
    lots                     = lots < least_value ? least_value : lots;
    lots                     = lots < 1 ? 1 : lots;
    int64_t qty              = 0;
    return lots <= INT64_MAX && fit_i64(lots * def->lot, &qty) ? qty : 0;
}

int64_t kit_ppm(int64_t px, int64_t ppm)
{
    if (px >= 0 && px < INT64_MAX / 1000000) { /* the usual price: no division in 128 bits */
        return px * ppm / 1000000;
    }
    const i128_t part = mul_i64(px, ppm) / 1000000;
    return (int64_t)(part < 0 ? -part : part); /* ppm is at most 10^6: not above px */
}

bool kit_px_valid(const instrument_t *ins, int64_t px)
{
    const instrument_def_t *def = &ins->def;
    if (px <= 0 && !def->allow_negative) {
        return false;
    }
    return (def->band_lower == 0 && def->band_upper == 0) || (px >= def->band_lower && px <= def->band_upper);
}

/* ---- working order ----------------------------------------------------------------------------------------------- */

static void back_off(working_t *w, const strategy_ctx_t *ctx, int64_t backoff_ns)
{
    w->not_before_ns = ctx->now.mono_ns + (backoff_ns << w->strikes);
    w->strikes += w->strikes < STRIKES_MAX;
}

/* true = accepted; else the place rests for a while. */
static bool accepted(working_t *w, const strategy_ctx_t *ctx, uint16_t code, int64_t backoff_ns)
{
    if (code != 0) {
        back_off(w, ctx, backoff_ns);
    }
    return code == 0;
}

void working_new(working_t *w, const strategy_ctx_t *ctx, const order_req_t *req, int64_t backoff_ns)
{
    uint64_t id = 0;
    if (w->state != WORKING_FREE || !accepted(w, ctx, ctx->order_new(ctx, req, &id), backoff_ns)) {
        return;
    }
    w->cl_ord_id = id;
    w->px        = req->px;
    w->qty       = req->qty;
    w->cum_qty   = 0;
    w->state     = WORKING_PENDING_NEW;
}

void working_replace(working_t *w, const strategy_ctx_t *ctx, int64_t px, int64_t backoff_ns)
{
    if (w->state == WORKING_LIVE && accepted(w, ctx, ctx->order_replace(ctx, w->cl_ord_id, px, w->qty), backoff_ns)) {
        w->px_next = px;
        w->state   = WORKING_PENDING_REPLACE;
    }
}

void working_cancel(working_t *w, const strategy_ctx_t *ctx, int64_t backoff_ns)
{
    if (w->state != WORKING_FREE && w->state != WORKING_PENDING_CANCEL &&
        accepted(w, ctx, ctx->order_cancel(ctx, w->cl_ord_id), backoff_ns)) {
        w->state = WORKING_PENDING_CANCEL;
    }
}

static bool order_dead(const working_t *w, const exec_report_t *report)
{
    switch (report->ord_status) {
    case ORD_STATUS_FILLED:
    case ORD_STATUS_CANCELED:
    case ORD_STATUS_REJECTED:
    case ORD_STATUS_EXPIRED: return true;
    default: break;
    }
    switch (report->exec_type) {
    case EXEC_TYPE_CANCELED:
    case EXEC_TYPE_REJECTED:
    case EXEC_TYPE_EXPIRED:
    case EXEC_TYPE_UNSENT: return true;
    case EXEC_TYPE_TRADE: return w->cum_qty >= w->qty;
    default: return false;
    }
}

/* The order lives: what does the report settle? A request under way stays under way unless its answer came. */
static void order_live(working_t *w, const exec_report_t *report)
{
    switch (report->exec_type) {
    case EXEC_TYPE_NEW: w->state = w->state == WORKING_PENDING_NEW ? WORKING_LIVE : w->state; break;
    case EXEC_TYPE_REPLACED:
        w->px    = report->px != 0 ? report->px : w->px_next;
        w->qty   = report->order_qty > 0 ? report->order_qty : w->qty;
        w->state = w->state == WORKING_PENDING_REPLACE ? WORKING_LIVE : w->state;
        break;
    case EXEC_TYPE_CANCEL_REJECT:
    case EXEC_TYPE_REPLACE_REJECT: w->state = WORKING_LIVE; break;
    case EXEC_TYPE_ORDER_STATUS:
        if (report->ord_status == ORD_STATUS_NEW || report->ord_status == ORD_STATUS_PARTIALLY_FILLED) {
            w->px    = report->px != 0 ? report->px : w->px;
            w->state = WORKING_LIVE;
        }
        break;
    default: break;
    }
}

void working_exec(working_t *w, const strategy_ctx_t *ctx, const exec_report_t *report, int64_t backoff_ns)
{
    if (w->state == WORKING_FREE || report->cl_ord_id != w->cl_ord_id) {
        return;
    }
    if (report->exec_type == EXEC_TYPE_TRADE) {
        w->cum_qty += min_i64(report->last_qty, INT64_MAX - w->cum_qty);
    }
    if (order_dead(w, report)) {
        w->state = WORKING_FREE;
    } else {
        order_live(w, report);
    }
    switch (report->exec_type) {
    case EXEC_TYPE_NEW:
    case EXEC_TYPE_REPLACED:
    case EXEC_TYPE_TRADE: w->strikes = 0; break;
    case EXEC_TYPE_REJECTED:
    case EXEC_TYPE_UNSENT:
    case EXEC_TYPE_CANCEL_REJECT:
    case EXEC_TYPE_REPLACE_REJECT: back_off(w, ctx, backoff_ns); break;
    default: break;
    }
}
