/* probe: one order for each book update that it sees: to measure how long the way from a book to an order is, with every
 * check on, through strategies that cost next to nothing themselves.
 *
 * It buys `lots` times the lot, at least the smallest quantity, at the best ask, and with the next update sells as much at
 * the best bid, in each instrument of its account's currency (or in `instrument` alone), IOC. So it stays within one order
 * of flat when all of them fill, and pays the spread each time: no strategy to earn with. What was denied or not filled is
 * not tried again: the next update sends the next order. */
#include <string.h>

#include "core/strategy/kit.h"
#include "core/types/num.h"

enum { LOTS, INSTRUMENT, PARAMS };

static const kit_param_t params[PARAMS] = {
    [LOTS]       = {"lots", 1, 1, 1000000},
    [INSTRUMENT] = {"instrument", 0, 0, UINT32_MAX},
};

typedef struct probe {
    int64_t  values[PARAMS];
    uint64_t sent;
    uint32_t strategy_id;
    uint32_t account_id;
} probe_t;
_Static_assert(sizeof(probe_t) <= STRATEGY_STATE_MAX, "the engine gives no more");

static err_t probe_init(void *state, const strategy_cfg_t *cfg)
{
    probe_t *p = state;
    memset(p, 0, sizeof *p);
    p->strategy_id = cfg->strategy_id;
    p->account_id  = cfg->account_id;
    return kit_params(cfg, probe_ops.name, params, PARAMS, p->values);
}

static void probe_book(void *state, const strategy_ctx_t *ctx, uint32_t instrument_id)
{
    probe_t            *p   = state;
    const instrument_t *ins = ctx->instrument(ctx, instrument_id);
    strategy_top_t      top;
    uint64_t            id;
    if ((p->values[INSTRUMENT] != 0 && p->values[INSTRUMENT] != instrument_id) || !ctx->top(ctx, instrument_id, &top) ||
        top.bid_qty == 0 || top.ask_qty == 0) {
        return;
    }
    const bool        buy = ctx->position(ctx, instrument_id) <= 0;
    const order_req_t req = {.created_mono_ns = ctx->now.mono_ns,
                             .strategy_id     = p->strategy_id,
                             .account_id      = p->account_id,
                             .instrument_id   = instrument_id,
                             .action          = ORDER_ACTION_NEW,
                             .side            = buy ? SIDE_BUY : SIDE_SELL,
                             .ord_type        = ORD_TYPE_LIMIT,
                             .tif             = TIF_IOC,
                             .px              = buy ? top.ask_px : top.bid_px,
                             .qty             = max_i64(ins->def.min_qty, ins->def.lot * p->values[LOTS])};
    p->sent += ctx->order_new(ctx, &req, &id) == 0;
}

const strategy_ops_t probe_ops = {
    .name        = "probe",
    .abi_version = STRATEGY_ABI_VERSION,
    .state_bytes = sizeof(probe_t),
    .help        = "one IOC order for each book update, buy and sell in turn: to measure with; lots instrument",
    .init        = probe_init,
    .on_book     = probe_book,
};
