/* match_model: what core/match/matcher.h must do, by a slow, obvious market: one plain array of open orders, scanned for
 * whatever is asked. It shares types with the matcher, and instrument_* for ticks and notional, but no code: no levels, no
 * heaps, no queues, no sums that are kept. Each single trade moves the last price and looks at every stop.
 *
 * It knows no room: a call does everything and appends to the outputs, which model_market_reset empties. It also asserts,
 * trade by trade, that a reduce-only order never lets a position grow or turn round. */
#pragma once

#include "core/match/matcher.h"

#define MODEL_ORDERS 512u
#define MODEL_OWNERS 16u
#define MODEL_OUT 8192u

typedef struct model_order {
    matcher_order_t o; /* terms as they stand now: o.qty is the order quantity, o.px the limit once it triggered */
    int64_t         cum_qty;
    int64_t         visible_qty;
    uint64_t        place;  /* in the book: lower was there before */
    uint64_t        arrive; /* lower is older */
    uint64_t        queued; /* place in the queue of triggered orders */
    matcher_stand_t stand;
} model_order_t;

typedef struct model_state {
    model_order_t   orders[MODEL_ORDERS]; /* in any order */
    uint32_t        count;
    int64_t         position[MODEL_OWNERS];
    uint64_t        clock; /* hands out place, arrive, queued */
    uint64_t        match_id;
    int64_t         last_px;
    bool            has_last;
    matcher_phase_t phase;
    uint32_t        report_count, entry_count, trade_count;
    uint32_t        meetings; /* of the order that enters now, with resting ones: what fills_max limits */
} model_state_t;

typedef struct model_market {
    matcher_cfg_t       cfg;
    const instrument_t *ins;
    int64_t             ts_ns;
    model_state_t       now;
    matcher_report_t    reports[MODEL_OUT];
    mbo_entry_t         entries[MODEL_OUT];
    trade_t             trades[MODEL_OUT];
    uint32_t            waves_max; /* most orders that one call has triggered: tests say how deep they went */
} model_market_t;

void model_market_init(model_market_t *m, const matcher_cfg_t *cfg, const instrument_t *ins);
void model_market_reset(model_market_t *m);

void model_market_submit(model_market_t *m, const matcher_order_t *order, int64_t ts_ns);
void model_market_replace(model_market_t *m, const matcher_change_t *change, int64_t ts_ns);
void model_market_cancel(model_market_t *m, uint64_t id, int64_t ts_ns);
void model_market_cancel_owner(model_market_t *m, uint32_t owner, int64_t ts_ns);
void model_market_expire(model_market_t *m, int64_t ts_ns);
void model_market_enter(model_market_t *m, matcher_phase_t phase, int64_t ts_ns);
void model_market_print(model_market_t *m, int64_t px, int64_t ts_ns);
void model_market_set_position(model_market_t *m, uint32_t owner, int64_t qty, int64_t ts_ns);

/* model_market_due_ns: as matcher_due_ns. model_market_side: the resting orders of a side as they would trade, out has
 * room for MODEL_ORDERS; how many. */
int64_t  model_market_due_ns(const model_market_t *m);
uint32_t model_market_side(const model_market_t *m, side_t side, const model_order_t **out);
