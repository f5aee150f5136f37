/* kit: what the built-in strategies have in common: settings with bounds, the size of an order, one working order.
 *
 * Working order: a strategy's picture of the one order that it may have in a place (an instrument and side), moved by
 * its own requests and by execution reports, never by hope:
 *
 *           working_new                 NEW                working_replace
 *   FREE ───────────────▶ PENDING_NEW ───────▶ LIVE ─────────────────────────▶ PENDING_REPLACE
 *    ▲                         │                │ ▲  ◀── REPLACED, REPLACE_REJECT ──┘ │
 *    │                         ▼ working_cancel ▼ └───────── CANCEL_REJECT ──┐        ▼
 *    └── filled, canceled, rejected, expired, unsent ◀────────────────── PENDING_CANCEL
 *
 * An order in doubt (TIMEOUT) keeps its place: the place is free only when a report says that the order is dead; the
 * answer to a query (ORDER_STATUS) settles what was under way. An order is known by the ClOrdID of its NEW for life, so
 * a report with another id is a late word on an order before it and changes nothing.
 *
 * Back-off: a denial (ours) or a rejection (the venue's) closes the place for backoff_ns, twice as long each time up to
 * 64 times, so that a strategy that is not allowed to trade asks a few times a minute and makes no storm. A
 * confirmation of the venue (NEW, REPLACED, TRADE) ends it.
 *
 * Plain data without pointers, zero = FREE. Engine thread only. */
#pragma once

#include "core/strategy/strategy.h"

/* ---- settings ---------------------------------------------------------------------------------------------------- */

typedef struct kit_param { /* one setting that a strategy knows */
    const char *name;
    int64_t     fallback;
    int64_t     low;
    int64_t     high;
} kit_param_t;

/* kit_params: values[i] of known[i]. ERR_CONFIG names the strategy, the setting, its value and its limit; a setting
 * that is not known is refused as well, and so is a missing account. values are then of no use. */
err_t kit_params(const strategy_cfg_t *cfg, const char *strategy, const kit_param_t *known, uint32_t count,
                 int64_t *values);

/* ---- size -------------------------------------------------------------------------------------------------------- */

/* kit_size: whole lots worth `notional` at px, rounded down, and at least min_qty and min_notional of the instrument.
 * notional is in whole units of the currency in which px is quoted: of settlement for spot and linear, of the
 * contract's face (qty x mult) for inverse. 0 = no such size (px without value, or it does not fit). ~50 ns. */
int64_t kit_size(const instrument_t *ins, int64_t px, int64_t notional);

/* kit_ppm: ppm millionths of px, by size, rounded towards zero. */
int64_t kit_ppm(int64_t px, int64_t ppm);

/* kit_px_valid: may an order be placed at px: sign, static band of the venue. */
bool kit_px_valid(const instrument_t *ins, int64_t px);

/* ---- working order ----------------------------------------------------------------------------------------------- */

enum { WORKING_FREE = 0, WORKING_PENDING_NEW, WORKING_LIVE, WORKING_PENDING_REPLACE, WORKING_PENDING_CANCEL };

typedef struct working {
    uint64_t cl_ord_id; /* of the NEW; meaningful unless FREE */
    int64_t  px;        /* in force, as far as we know */
    int64_t  px_next;   /* asked for by the replace under way */
    int64_t  qty;
    int64_t  cum_qty;
    int64_t  not_before_ns; /* monotonic; no request before it */
    uint32_t strikes;       /* denials and rejections in a row */
    uint32_t state;
} working_t;

static inline bool working_ready(const working_t *w, const strategy_ctx_t *ctx)
{
    return ctx->now.mono_ns >= w->not_before_ns;
}

/* working_new: send req from a FREE place. working_replace: a LIVE order to another price. working_cancel: take it out;
 * nothing when FREE or canceling already. All leave the place as it is, and back off, when risk denies. */
void working_new(working_t *w, const strategy_ctx_t *ctx, const order_req_t *req, int64_t backoff_ns);
void working_replace(working_t *w, const strategy_ctx_t *ctx, int64_t px, int64_t backoff_ns);
void working_cancel(working_t *w, const strategy_ctx_t *ctx, int64_t backoff_ns);

/* working_exec: a report for the place (the caller matched instrument and side). */
void working_exec(working_t *w, const strategy_ctx_t *ctx, const exec_report_t *report, int64_t backoff_ns);

/* ---- the built-in strategies (found by strategy_find) ------------------------------------------------------------ */
extern const strategy_ops_t market_maker_ops;
extern const strategy_ops_t sma_cross_ops;
extern const strategy_ops_t probe_ops;
