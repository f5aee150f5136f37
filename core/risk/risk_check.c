/* The chain. risk_check lays what it looks up into a gate_t, runs the stages A to J in order until one denies, and
 * reserves when none did. A stage returns the code and has then written scope, observed and limit into the verdict; it
 * writes nothing else but the gate, so risk_probe runs the same chain to ask. */
#include <assert.h>
#include <string.h>

#include "core/risk/risk.h"
#include "core/risk/risk_private.h"

#define EXEC_INST_ALL (EXEC_INST_POST_ONLY | EXEC_INST_REDUCE_ONLY)

typedef struct rate_scope { /* the windows of one scope that the request touches */
    risk_rate_t *rate;
    int64_t     *times; /* RATE_RINGS rings */
    scope_t      scope_type;
    uint32_t     scope_id;
} rate_scope_t;

typedef struct gate {         /* one check; NULL = does not exist */
    const risk_t       *risk; /* the chain changes nothing there; what passes is reserved through the pointers below */
    const risk_in_t    *in;
    risk_out_t         *out;
    const order_req_t  *req;
    const instrument_t *ins;
    risk_account_t     *acc;
    risk_strategy_t    *strategy;
    risk_venue_t       *venue;
    risk_instrument_t  *market;
    risk_row_t         *row;
    risk_row_t         *strategy_row;
    bool                buy;
    bool                amend;
    bool                repeats; /* may be a duplicate (277): not while a smaller quantity is looked for */
    bool                sized;   /* check_figures came to its end but the age: what is above and below is there */
    bool                window_read;
    bool                px_known; /* px is set: always for limit orders, for market orders with a reference */
    int64_t             px;       /* limit to send */
    int64_t             px_value; /* Pw of section 6 */
    int64_t             value_px; /* notional(qty) at px */
    int64_t             value;    /* at the worse of px and px_value */
    int64_t             qty;      /* that can still fill: all of a NEW, new leaves of a REPLACE */
    int64_t             long_now; /* L and K before and, with this request, after */
    int64_t             short_now;
    int64_t             long_then;
    int64_t             short_then;
    int64_t             value_long; /* after, at the reference price */
    int64_t             value_short;
    order_part_t        before; /* the order's own part: reserved so far, and if this passes */
    order_part_t        after;
    int64_t             value_before;
    int64_t             value_after;
    risk_ref_t          ref;
    rate_scope_t        scopes[3];
    int                 scope_count;
    uint64_t            window_tail; /* of values (273), as far as check_value_window has looked */
    i128_t              window_sum;
    uint32_t            soft_rates; /* bit: test * 3 + scope: passes, and reaches its soft limit */
} gate_t;

static int64_t clamp_i64(i128_t v)
{
    return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

/* Out of line: a denial is rare, and its 128-bit clamps would spread the passing path over twice the instruction lines.
 */
#define COLD __attribute__((cold, noinline))

COLD static uint16_t deny(gate_t *g, risk_code_t code, scope_t scope_type, uint32_t scope_id, i128_t observed,
                          i128_t limit)
{
    verdict_t *v  = &g->out->verdict;
    v->code       = (uint16_t)code;
    v->scope_type = (uint8_t)scope_type;
    v->scope_id   = scope_id;
    v->observed   = clamp_i64(observed);
    v->limit      = clamp_i64(limit);
    return v->code;
}

COLD static uint16_t deny_instrument(gate_t *g, risk_code_t code, i128_t observed, i128_t limit)
{
    return deny(g, code, SCOPE_INSTRUMENT, g->req->instrument_id, observed, limit);
}

COLD static uint16_t deny_account(gate_t *g, risk_code_t code, i128_t observed, i128_t limit)
{
    return deny(g, code, SCOPE_ACCOUNT, g->req->account_id, observed, limit);
}

COLD static uint16_t deny_row(gate_t *g, risk_code_t code, i128_t observed, i128_t limit)
{
    return deny(g, code, SCOPE_ACCOUNT_INSTRUMENT, g->req->account_id, observed, limit);
}

/* ---- A: validity ------------------------------------------------------------------------------------------------- */

static bool words_ok(const order_req_t *req)
{
    const bool side = req->side == SIDE_BUY || req->side == SIDE_SELL;
    const bool type =
        req->ord_type == ORD_TYPE_LIMIT || (req->ord_type == ORD_TYPE_MARKET && req->action == ORDER_ACTION_NEW);
    const bool tif  = req->tif == TIF_DAY || req->tif == TIF_GTC || req->tif == TIF_IOC || req->tif == TIF_FOK;
    const bool rest = req->ord_type == ORD_TYPE_LIMIT && (req->tif == TIF_DAY || req->tif == TIF_GTC);
    return side && type && tif && (rest || !(req->exec_inst & EXEC_INST_POST_ONLY));
}

/* Who and what: 101 to 122. Fills in the objects of the gate. */
static uint16_t check_names(gate_t *g)
{
    const risk_t      *r   = g->risk;
    const order_req_t *req = g->req;
    if (req->action < ORDER_ACTION_NEW || req->action > ORDER_ACTION_CANCEL || req->position_effect > POSITION_EFFECT_CLOSE ||
        (req->exec_inst & ~EXEC_INST_ALL) != 0) {
        return deny(g, RISK_BAD_MESSAGE, SCOPE_NONE, 0, req->action, ORDER_ACTION_CANCEL);
    }
    if (req->action != ORDER_ACTION_CANCEL && !words_ok(req)) {
        return deny(g, RISK_BAD_SIDE_TYPE_OR_TIF, SCOPE_NONE, 0, req->side, 0);
    }
    if (cl_ord_id_seq(req->cl_ord_id) == 0) {
        return deny(g, RISK_BAD_CLIENT_ORDER_ID, SCOPE_NONE, 0, (int64_t)req->cl_ord_id, 0);
    }
    if (g->in->ins == NULL || req->instrument_id == 0 || req->instrument_id > r->cfg.instruments_max ||
        g->in->ins->def.instrument_id != req->instrument_id || g->in->ins->def.venue_id == 0 ||
        g->in->ins->def.venue_id > r->cfg.venues_max) {
        return deny_instrument(g, RISK_UNKNOWN_INSTRUMENT, req->instrument_id, r->cfg.instruments_max);
    }
    if (req->account_id == 0 || req->account_id > r->cfg.accounts_max || !risk_account(r, req->account_id)->exists) {
        return deny_account(g, RISK_UNKNOWN_ACCOUNT, req->account_id, r->cfg.accounts_max);
    }
    g->ins    = g->in->ins;
    g->acc    = risk_account(r, req->account_id);
    g->venue  = risk_venue(r, g->ins->def.venue_id);
    g->market = risk_instrument(r, req->instrument_id);
    g->row    = risk_row(r, req->account_id, req->instrument_id);
    if (req->strategy_id >= 1 && req->strategy_id <= r->cfg.strategies_max &&
        risk_strategy(r, req->strategy_id)->tenant_id != 0) {
        g->strategy     = risk_strategy(r, req->strategy_id);
        g->strategy_row = risk_strategy_row(r, req->strategy_id, req->instrument_id);
    }
    if (req->tenant_id != g->acc->cfg.tenant_id || (g->strategy && req->tenant_id != g->strategy->tenant_id)) {
        return deny_account(g, RISK_WRONG_TENANT, req->tenant_id, g->acc->cfg.tenant_id);
    }
    return RISK_ACCEPTED;
}

/* The order that a REPLACE or CANCEL is about: 115 to 117. */
static uint16_t check_target(gate_t *g)
{
    const order_t     *o   = g->in->target;
    const order_req_t *req = g->req;
    if (req->action == ORDER_ACTION_NEW) {
        return RISK_ACCEPTED;
    }
    if (o == NULL || o->cl_ord_id != req->orig_cl_ord_id || o->account_id != req->account_id ||
        o->instrument_id != req->instrument_id ||
        (g->amend && (o->side != req->side || o->strategy_id != req->strategy_id))) {
        return deny_account(g, RISK_UNKNOWN_ORDER, (int64_t)req->orig_cl_ord_id, 0);
    }
    if (!order_is_open(o)) {
        return deny_account(g, RISK_ORDER_NOT_OPEN, o->ord_status, 0);
    }
    if (g->amend && req->qty < o->exec_qty) {
        return deny_account(g, RISK_AMEND_BELOW_FILLED, req->qty, o->exec_qty);
    }
    return RISK_ACCEPTED;
}

static i128_t abs_i128(i128_t v)
{
    return v < 0 ? -v : v;
}

/* ref * (1 +- bp), times 2 * BP: exact. */
static i128_t bound_scaled(i128_t px2, int64_t bp)
{
    return px2 * BP + abs_i128(px2) * bp;
}

/* A market order is sent as a limit order at the collar, on the tick towards the reference price (E). Limits that are
 * missing or a reference that is not known are denied later, in their place. */
static void market_price(gate_t *g)
{
    const int64_t c = g->market->limits.collar_bp;
    if (!g->market->has_limits || !g->ref.known || !g->ref.book_fresh) {
        g->px_known = false;
        return;
    }
    const i128_t bound =
        g->buy ? div_floor(bound_scaled(g->ref.px2, c), 2 * BP) : div_ceil(bound_scaled(g->ref.px2, -c), 2 * BP);
    const int64_t px = clamp_i64(bound);
    g->px            = g->buy ? instrument_round_down(g->ins, px) : instrument_round_up(g->ins, px);
}

/* Prices and sums that later stages share. false = something does not fit (111). */
static bool gate_sums(gate_t *g)
{
    const bool own = g->amend; /* a REPLACE takes the place of the order's own part */
    int64_t    value_ref;
    g->before       = (order_part_t){0};
    g->value_before = 0;
    if (own) {
        order_part(g->in->target, &g->before);
    }
    g->qty        = g->req->qty - (own ? g->in->target->exec_qty : 0);
    g->long_now   = row_long(g->row);
    g->short_now  = row_short(g->row);
    g->long_then  = g->long_now;
    g->short_then = g->short_now;
    int64_t *then = g->buy ? &g->long_then : &g->short_then;
    if (!fit_i64((i128_t)*then - g->before.qty + g->qty, then)) {
        return false;
    }
    if (!g->px_known) {
        return true;
    }
    g->px_value = g->px;
    if (!g->buy && g->ref.known) {
        g->px_value = max_i64(g->px, risk_ref_px(g->ins, g->ref.px2));
    }
    if (!instrument_notional(g->ins, g->px, g->req->qty, &g->value_px)) {
        return false;
    }
    g->value = g->value_px;
    if (g->px_value != g->px) {
        if (!instrument_notional(g->ins, g->px_value, g->req->qty, &value_ref)) {
            return false;
        }
        g->value = max_i64(g->value_px, value_ref);
    }
    if (own) {
        order_part_replaced(g->in->target, g->px, g->px_value, g->req->qty, &g->after);
        return risk_part_value(g->ins, &g->before, &g->value_before) &&
               risk_part_value(g->ins, &g->after, &g->value_after);
    }
    g->after       = (order_part_t){.qty    = g->qty,
                                    .px_lo  = min_i64(g->px, g->px_value),
                                    .px_hi  = max_i64(g->px, g->px_value),
                                    .side   = g->req->side,
                                    .counts = 1};
    g->value_after = g->value;
    return true;
}

/* Figures: 113 to 114 for NEW and REPLACE. */
static uint16_t check_figures(gate_t *g, bool seen)
{
    const order_req_t      *req = g->req;
    const instrument_def_t *def = &g->ins->def;
    if (!g->amend && seen) {
        return deny_account(g, RISK_DUPLICATE_CLIENT_ORDER_ID, (int64_t)req->cl_ord_id, 0);
    }
    if (req->qty <= 0) {
        return deny_instrument(g, RISK_QTY_NOT_POSITIVE, req->qty, 1);
    }
    if (req->qty % def->lot != 0) {
        return deny_instrument(g, RISK_QTY_NOT_ON_LOT, req->qty, def->lot);
    }
    if (req->qty < def->min_qty) {
        return deny_instrument(g, RISK_QTY_BELOW_MIN, req->qty, def->min_qty);
    }
    g->ref      = risk_ref_find(g->ins, g->in->md, g->market->limits.max_md_age_ns, g->in->now);
    g->px       = req->px;
    g->px_known = true;
    if (req->ord_type == ORD_TYPE_MARKET) {
        market_price(g);
    } else if (req->px <= 0 && !def->allow_negative) {
        return deny_instrument(g, RISK_PRICE_NOT_POSITIVE, req->px, 1);
    } else if (!instrument_on_tick(g->ins, req->px)) {
        return deny_instrument(g, RISK_PRICE_NOT_ON_TICK, req->px, instrument_tick_at(g->ins, req->px));
    }
    if (!gate_sums(g)) {
        return deny_instrument(g, RISK_ARITHMETIC_OVERFLOW, req->qty, INT64_MAX);
    }
    if (g->px_known && g->value_px < def->min_notional) {
        return deny_instrument(g, RISK_NOTIONAL_BELOW_MIN, g->value_px, def->min_notional);
    }
    g->sized         = true;
    const i128_t age = (i128_t)g->in->now.mono_ns - req->created_mono_ns;
    if (age > g->risk->cfg.max_request_age_ns) {
        return deny(g, RISK_REQUEST_TOO_OLD, SCOPE_GLOBAL, 0, age, g->risk->cfg.max_request_age_ns);
    }
    if (age < -g->risk->cfg.max_ahead_ns) {
        return deny(g, RISK_REQUEST_TOO_OLD, SCOPE_GLOBAL, 0, age, -g->risk->cfg.max_ahead_ns);
    }
    return RISK_ACCEPTED;
}

/* ---- B: authority ------------------------------------------------------------------------------------------------ */

static uint16_t check_authority(gate_t *g)
{
    const order_req_t        *req    = g->req;
    const risk_account_cfg_t *rights = &g->acc->cfg;
    const uint32_t            venue  = g->ins->def.venue_id;
    if (!rights->may_trade) {
        return deny_account(g, RISK_NOT_AUTHORISED, 0, 0);
    }
    if (g->row->flags & ROW_DENIED) {
        return deny_row(g, RISK_INSTRUMENT_NOT_PERMITTED, req->instrument_id, 0);
    }
    if (g->market->restricted) {
        return deny_instrument(g, RISK_INSTRUMENT_RESTRICTED, req->instrument_id, 0);
    }
    if ((rights->venues >> venue & 1) == 0) {
        return deny(g, RISK_VENUE_NOT_PERMITTED, SCOPE_ACCOUNT_VENUE, req->account_id, venue, 0);
    }
    if (!g->buy && !rights->may_short && g->short_then > 0) {
        return deny_row(g, RISK_SHORT_NOT_PERMITTED, g->short_then, 0);
    }
    if ((rights->ord_types >> req->ord_type & 1) == 0) {
        return deny_account(g, RISK_ORDER_TYPE_NOT_PERMITTED, req->ord_type, 0);
    }
    if (req->strategy_id != 0 && (g->strategy == NULL || g->strategy->approved_version == 0)) {
        return deny(g, RISK_STRATEGY_NOT_APPROVED, SCOPE_STRATEGY, req->strategy_id, req->strategy_id, 0);
    }
    return RISK_ACCEPTED;
}

/* ---- C: state and kill ------------------------------------------------------------------------------------------- */

static uint16_t check_kill(gate_t *g)
{
    const order_req_t *req = g->req;
    if (g->risk->killed) {
        return deny(g, RISK_KILL_GLOBAL, SCOPE_GLOBAL, 0, 1, 0);
    }
    if (*risk_tenant_killed(g->risk, req->tenant_id)) {
        return deny(g, RISK_KILL_TENANT, SCOPE_TENANT, req->tenant_id, 1, 0);
    }
    if (g->acc->killed) {
        return deny_account(g, RISK_KILL_ACCOUNT, 1, 0);
    }
    if (g->strategy && g->strategy->killed) {
        return deny(g, RISK_KILL_STRATEGY, SCOPE_STRATEGY, req->strategy_id, 1, 0);
    }
    if (g->venue->killed) {
        return deny(g, RISK_KILL_VENUE, SCOPE_VENUE, g->ins->def.venue_id, 1, 0);
    }
    if (g->market->killed) {
        return deny_instrument(g, RISK_KILL_INSTRUMENT, 1, 0);
    }
    return RISK_ACCEPTED;
}

static uint16_t check_session(gate_t *g)
{
    const uint32_t venue      = g->venue->session;
    const uint32_t instrument = g->market->session;
    const bool     at_venue   = venue != SESSION_NONE && venue != SESSION_OPEN;
    const uint32_t state      = at_venue ? venue : instrument != SESSION_NONE ? instrument : venue;
    const scope_t  scope_type = at_venue ? SCOPE_VENUE : SCOPE_INSTRUMENT;
    const uint32_t scope_id   = at_venue ? g->ins->def.venue_id : g->req->instrument_id;
    switch (state) {
    case SESSION_OPEN: return RISK_ACCEPTED;
    case SESSION_HALTED: return deny(g, RISK_INSTRUMENT_HALTED, scope_type, scope_id, state, SESSION_OPEN);
    case SESSION_CANCEL_ONLY: return deny(g, RISK_CANCEL_ONLY, scope_type, scope_id, state, SESSION_OPEN);
    case SESSION_PRE_OPEN: return deny(g, RISK_TYPE_NOT_IN_PHASE, scope_type, scope_id, state, SESSION_OPEN);
    default: return deny(g, RISK_SESSION_CLOSED, scope_type, scope_id, state, SESSION_OPEN);
    }
}

/* Only towards flat and not through it, all open orders counted: the account's state, a latched loss with its own code,
 * or the order's own instruction (18 = E). */
static uint16_t check_reduce(gate_t *g)
{
    const uint16_t inst = g->amend ? g->req->exec_inst | g->in->target->exec_inst : g->req->exec_inst;
    if (!g->acc->reduce_only && !g->acc->latched && !(inst & EXEC_INST_REDUCE_ONLY)) {
        return RISK_ACCEPTED;
    }
    const bool reduces = g->buy ? g->row->pos < 0 && g->long_then <= 0 : g->row->pos > 0 && g->short_then <= 0;
    if (reduces) {
        return RISK_ACCEPTED;
    }
    const bool latch = g->acc->latched && !g->acc->reduce_only;
    return deny_account(g, latch ? (risk_code_t)g->acc->latched : RISK_REDUCE_ONLY,
                        g->buy ? g->long_then : g->short_then, 0);
}

static uint16_t check_limits_there(gate_t *g)
{
    const order_req_t      *req = g->req;
    const instrument_def_t *def = &g->ins->def;
    if (!g->acc->has_limits || def->settle_ccy != g->acc->cfg.ccy || def->money_exp != g->acc->cfg.money_exp) {
        return deny_account(g, RISK_LIMIT_MISSING, 0, 0);
    }
    if (!g->market->has_limits) {
        return deny_instrument(g, RISK_LIMIT_MISSING, 0, 0);
    }
    if ((g->row->flags & ROW_LIMITS) == 0) {
        return deny_row(g, RISK_LIMIT_MISSING, 0, 0);
    }
    if (!g->venue->has_limits) {
        return deny(g, RISK_LIMIT_MISSING, SCOPE_VENUE, def->venue_id, 0, 0);
    }
    if (g->strategy && !g->strategy->has_limits) {
        return deny(g, RISK_LIMIT_MISSING, SCOPE_STRATEGY, req->strategy_id, 0, 0);
    }
    if (g->strategy && (g->strategy_row->flags & ROW_LIMITS) == 0) {
        return deny(g, RISK_LIMIT_MISSING, SCOPE_STRATEGY_INSTRUMENT, req->strategy_id, 0, 0);
    }
    return RISK_ACCEPTED;
}

static uint16_t check_state(gate_t *g)
{
    uint16_t code;
    if ((code = check_kill(g)) || (code = check_session(g))) {
        return code;
    }
    if (g->venue->ring_full) {
        return deny(g, RISK_RING_FULL, SCOPE_VENUE, g->ins->def.venue_id, 1, 0);
    }
    if ((code = check_reduce(g))) {
        return code;
    }
    if (g->acc->recovering) {
        return deny_account(g, RISK_RECOVERING, 1, 0);
    }
    if (g->acc->unreconciled) {
        return deny_account(g, RISK_UNRECONCILED, 1, 0);
    }
    if (!g->venue->link_up) {
        return deny(g, RISK_VENUE_DOWN, SCOPE_VENUE, g->ins->def.venue_id, 0, 1);
    }
    if (!g->risk->journal_ok) {
        return deny(g, RISK_JOURNAL_DOWN, SCOPE_GLOBAL, 0, 0, 1);
    }
    if (!g->risk->clock_ok) {
        return deny(g, RISK_CLOCK_UNTRUSTED, SCOPE_GLOBAL, 0, 0, 1);
    }
    if ((code = check_limits_there(g))) {
        return code;
    }
    if ((g->row->flags | (g->strategy_row ? g->strategy_row->flags : 0)) & ROW_BROKEN) {
        return deny_row(g, RISK_INTERNAL, 0, 0);
    }
    if (!g->amend && !order_room(g->in->orders)) {
        return deny(g, RISK_INTERNAL, SCOPE_GLOBAL, 0, order_open_count(g->in->orders),
                    order_open_count(g->in->orders));
    }
    return RISK_ACCEPTED;
}

/* ---- D, E, F: market data, price, size --------------------------------------------------------------------------- */

static uint16_t check_market(gate_t *g)
{
    const risk_md_t     *md     = g->in->md;
    const risk_limits_t *limits = &g->market->limits;
    const bool           market = g->req->ord_type == ORD_TYPE_MARKET;
    const bool           book   = md && md->has_bid && md->has_ask;
    const bool           last   = md && md->has_last && !market; /* a market order needs a book */
    if (!book && !last) {
        return deny_instrument(g, RISK_NO_REFERENCE_PRICE, 0, 0);
    }
    if (!g->ref.book_fresh && !(last && g->ref.last_fresh)) {
        const int64_t age = !book   ? g->ref.last_age_ns
                            : !last ? g->ref.book_age_ns
                                    : min_i64(g->ref.book_age_ns, g->ref.last_age_ns);
        return deny_instrument(g, RISK_STALE_MARKET_DATA, age, limits->max_md_age_ns);
    }
    if (g->ref.book_fresh) {
        const i128_t sum    = (i128_t)md->bid_px + md->ask_px;
        const i128_t spread = (i128_t)md->ask_px - md->bid_px;
        if (spread <= 0 || (md->bid_px <= 0 && !g->ins->def.allow_negative)) {
            return deny_instrument(g, RISK_BOOK_INVALID, md->bid_px, md->ask_px);
        }
        if (spread * 2 * BP > abs_i128(sum) * limits->max_spread_bp) {
            return deny_instrument(g, RISK_BOOK_INVALID, spread, abs_i128(sum) * limits->max_spread_bp / (2 * BP));
        }
    }
    if (md->feed_gap) {
        return deny_instrument(g, RISK_FEED_GAP, 1, 0);
    }
    return g->ref.known ? RISK_ACCEPTED : deny_instrument(g, RISK_NO_REFERENCE_PRICE, 0, 0);
}

static uint16_t check_price(gate_t *g)
{
    const risk_limits_t    *limits = &g->market->limits;
    const instrument_def_t *def    = &g->ins->def;
    const i128_t            px     = (i128_t)g->px * 2 * BP;
    const i128_t            up     = bound_scaled(g->ref.px2, g->buy ? limits->collar_bp : limits->far_bp);
    const i128_t            down   = bound_scaled(g->ref.px2, g->buy ? -limits->far_bp : -limits->collar_bp);
    if (g->buy && px > up) {
        return deny_instrument(g, RISK_COLLAR_BUY, g->px, div_floor(up, 2 * BP));
    }
    if (!g->buy && px < down) {
        return deny_instrument(g, RISK_COLLAR_SELL, g->px, div_ceil(down, 2 * BP));
    }
    if (g->buy ? px < down : px > up) {
        return deny_instrument(g, RISK_FAR_FROM_MARKET, g->px, g->buy ? div_ceil(down, 2 * BP) : div_floor(up, 2 * BP));
    }
    if ((def->band_lower | def->band_upper) != 0 && (g->px < def->band_lower || g->px > def->band_upper)) {
        return deny_instrument(g, RISK_STATIC_BAND, g->px, g->px < def->band_lower ? def->band_lower : def->band_upper);
    }
    return RISK_ACCEPTED;
}

static uint16_t check_size(gate_t *g)
{
    const int64_t qty = g->req->qty;
    if (qty > g->market->limits.max_qty) {
        return deny_instrument(g, RISK_MAX_ORDER_QTY, qty, g->market->limits.max_qty);
    }
    if (qty > g->row->max_qty) {
        return deny_row(g, RISK_MAX_ORDER_QTY, qty, g->row->max_qty);
    }
    if (g->value > g->market->limits.max_value) {
        return deny_instrument(g, RISK_MAX_ORDER_VALUE, g->value, g->market->limits.max_value);
    }
    if (g->value > g->acc->limits.max_value) {
        return deny_account(g, RISK_MAX_ORDER_VALUE, g->value, g->acc->limits.max_value);
    }
    return RISK_ACCEPTED;
}

/* ---- G: rates and repeats ---------------------------------------------------------------------------------------- */

/* Strategy, account, venue: the order in which they are tested. Returns how many there are. */
static int rate_scopes(const gate_t *g, rate_scope_t out[3])
{
    const risk_cfg_t *cfg    = &g->risk->cfg;
    int64_t          *times  = risk_at(g->risk, g->risk->times_off);
    const uint64_t    stride = RATE_RINGS * (g->risk->window_mask + 1ULL);
    const uint64_t    s      = cfg->accounts_max + 1ULL;
    const uint64_t    v      = s + cfg->strategies_max + 1ULL;
    int               n      = 0;
    if (g->strategy) {
        out[n++] = (rate_scope_t){g->strategy->rate, times + (s + g->req->strategy_id) * stride, SCOPE_STRATEGY,
                                  g->req->strategy_id};
    }
    out[n++] = (rate_scope_t){g->acc->rate, times + g->req->account_id * stride, SCOPE_ACCOUNT, g->req->account_id};
    out[n++] =
        (rate_scope_t){g->venue->rate, times + (v + g->ins->def.venue_id) * stride, SCOPE_VENUE, g->ins->def.venue_id};
    return n;
}

/* Every order is a message and the other way round: both windows look at one ring of pass times. */
static int64_t *rate_ring(const gate_t *g, const rate_scope_t *scope, risk_rate_kind_t kind)
{
    return scope->times + (kind == RATE_CANCELS ? g->risk->window_mask + 1ULL : 0);
}

/* Are there n passed events in (t - w, t]? Exactly when the n-th newest is younger than w. */
static bool rate_reached(const gate_t *g, const rate_scope_t *scope, risk_rate_kind_t kind, int64_t n)
{
    const risk_rate_t *rate = &scope->rate[kind];
    if (n == 0) {
        return true;
    }
    if (rate->passed < (uint64_t)n) {
        return false;
    }
    const int64_t t = rate_ring(g, scope, kind)[(rate->passed - (uint64_t)n) & g->risk->window_mask];
    return g->in->now.mono_ns - t < rate->w_ns;
}

static bool soft_due(int64_t *soft_ns, now_t now)
{
    if (*soft_ns != 0 && now.mono_ns - *soft_ns < RISK_SOFT_GATE_NS) {
        return false;
    }
    *soft_ns = max_i64(now.mono_ns, 1);
    return true;
}

COLD static void soft_tell(gate_t *g, int64_t *soft_ns, risk_code_t code, scope_t scope_type, uint32_t scope_id,
                           i128_t observed, i128_t limit)
{
    if (g->out->soft_count < RISK_SOFT_MAX && soft_due(soft_ns, g->in->now)) {
        g->out->soft[g->out->soft_count++] = (risk_soft_t){.code       = (uint16_t)code,
                                                           .scope_type = (uint8_t)scope_type,
                                                           .scope_id   = scope_id,
                                                           .observed   = clamp_i64(observed),
                                                           .limit      = clamp_i64(limit)};
    }
}

static risk_value_t *value_ring(const gate_t *g)
{
    return (risk_value_t *)risk_at(g->risk, g->risk->values_off) + g->req->account_id * (g->risk->value_mask + 1ULL);
}

static risk_passed_t *passed_ring(const gate_t *g)
{
    return (risk_passed_t *)risk_at(g->risk, g->risk->passed_off) + g->req->account_id * (g->risk->window_mask + 1ULL);
}

/* 273. Values that left the window are taken off a few at a time, and as many as it needs when the order would not fit:
 * the answer is exact and no check pays for a long silence before it. */
static uint16_t check_value_window(gate_t *g)
{
    const risk_account_t *acc  = g->acc;
    const risk_value_t   *ring = value_ring(g);
    const i128_t          max  = acc->limits.value_w_max;
    const uint64_t        cap  = g->risk->cfg.value_window_max;
    uint64_t              tail = g->window_read ? g->window_tail : acc->value_tail;
    i128_t                sum  = g->window_read ? g->window_sum : acc->value_sum;
    for (int n = 0; tail != acc->value_head; n++) {
        const risk_value_t *oldest = &ring[tail & g->risk->value_mask];
        const bool          fits   = sum + g->value <= max && acc->value_head - tail < cap;
        if (g->in->now.mono_ns - oldest->mono_ns < acc->limits.value_w_ns || (n >= 8 && fits)) {
            break;
        }
        sum -= oldest->value;
        tail++;
    }
    g->window_read = true;
    g->window_tail = tail;
    g->window_sum  = sum;
    if (sum + g->value > max || acc->value_head - tail >= cap) {
        return deny_account(g, RISK_RATE_VALUE, sum + g->value, max);
    }
    return RISK_ACCEPTED;
}

/* 277: equal orders among those that passed in the window, newest first. */
static uint16_t check_duplicate(gate_t *g)
{
    const risk_passed_t *ring  = passed_ring(g);
    const uint64_t       kept  = g->risk->window_mask + 1ULL;
    const uint64_t       head  = g->acc->dup_head;
    const uint64_t       end   = head > kept ? head - kept : 0;
    int64_t              equal = 0;
    for (uint64_t i = head; i > end; i--) {
        const risk_passed_t *p = &ring[(i - 1) & g->risk->window_mask];
        if (g->in->now.mono_ns - p->mono_ns >= g->acc->limits.dup_w_ns) {
            break;
        }
        equal += p->px == g->px && p->qty == g->req->qty && p->instrument_id == g->req->instrument_id &&
                 p->side == g->req->side && p->ord_type == g->req->ord_type;
    }
    return equal < g->acc->limits.dup_n ? RISK_ACCEPTED
                                        : deny_account(g, RISK_DUPLICATE_ORDER, equal + 1, g->acc->limits.dup_n);
}

static const struct {
    risk_rate_kind_t kind;
    risk_code_t      code;
} RATE_TESTS[] = {{RATE_ORDERS, RISK_RATE_ORDERS}, {RATE_MESSAGES, RISK_RATE_MESSAGES}};

/* One look at each ring says, nearly always, that not even the soft limit is reached with this request; soft_n <= n, so
 * the hard one is not either. */
static uint16_t check_rates(gate_t *g)
{
    g->soft_rates  = 0;
    g->scope_count = rate_scopes(g, g->scopes);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < g->scope_count; i++) {
            const rate_scope_t *scope = &g->scopes[i];
            const risk_rate_t  *rate  = &scope->rate[RATE_TESTS[k].kind];
            if (!rate_reached(g, scope, RATE_TESTS[k].kind, rate->soft_n - 1)) {
                continue;
            }
            if (rate_reached(g, scope, RATE_TESTS[k].kind, rate->n)) {
                return deny(g, RATE_TESTS[k].code, scope->scope_type, scope->scope_id, (i128_t)rate->n + 1, rate->n);
            }
            g->soft_rates |= 1U << (k * 3 + i);
        }
    }
    const uint16_t code = check_value_window(g);
    return code || !g->repeats ? code : check_duplicate(g);
}

/* One more passed order and message in every window. */
static void rates_pass(gate_t *g)
{
    for (int i = 0; i < g->scope_count; i++) {
        const rate_scope_t *scope                                            = &g->scopes[i];
        scope->times[scope->rate[RATE_ORDERS].passed & g->risk->window_mask] = g->in->now.mono_ns;
        scope->rate[RATE_ORDERS].passed++;
        scope->rate[RATE_MESSAGES].passed++;
        for (int k = 0; k < 2; k++) {
            risk_rate_t *rate = &scope->rate[RATE_TESTS[k].kind];
            if (g->soft_rates >> (k * 3 + i) & 1) {
                soft_tell(g, &rate->soft_ns, RATE_TESTS[k].code, scope->scope_type, scope->scope_id, rate->soft_n,
                          rate->n);
            }
        }
    }
}

/* ---- H: crossing own orders -------------------------------------------------------------------------------------- */

static uint16_t check_self_trade(gate_t *g)
{
    const order_table_t *orders = g->in->orders;
    const side_t         other  = g->buy ? SIDE_SELL : SIDE_BUY;
    const bool           group  = g->risk->cfg.stp == RISK_STP_ACCOUNT;
    for (uint32_t at = order_side_first(orders, g->req->instrument_id, other); at != ORDER_NONE;
         at          = order_side_next(orders, at)) {
        const order_t *o  = order_at(orders, at);
        const int64_t  px = order_eager_px(o);
        if (g->buy ? px > g->px : px < g->px) {
            break; /* sorted: no later one crosses either */
        }
        const bool same = group ? o->account_id == g->req->account_id : o->tenant_id == g->req->tenant_id;
        if (same && (order_leaves(o) > 0 || o->replaces)) {
            return deny(g, RISK_SELF_TRADE, group ? SCOPE_ACCOUNT : SCOPE_TENANT,
                        group ? g->req->account_id : g->req->tenant_id, g->px, px);
        }
    }
    return RISK_ACCEPTED;
}

/* ---- I: exposure ------------------------------------------------------------------------------------------------- */

/* What the request does to the worst case of the strategy: L for a buy, K for a sell. */
static i128_t strategy_then(const gate_t *g)
{
    return (i128_t)(g->buy ? row_long(g->strategy_row) : row_short(g->strategy_row)) - g->before.qty + g->qty;
}

static uint16_t check_position(gate_t *g)
{
    const risk_code_t code  = g->buy ? RISK_MAX_LONG : RISK_MAX_SHORT;
    const int64_t     then  = g->buy ? g->long_then : g->short_then;
    const int64_t     limit = g->buy ? g->row->max_long : g->row->max_short;
    if (then > limit) {
        return deny_row(g, code, then, limit);
    }
    if (g->strategy) {
        const int64_t max = g->buy ? g->strategy_row->max_long : g->strategy_row->max_short;
        if (strategy_then(g) > max) {
            return deny(g, code, SCOPE_STRATEGY_INSTRUMENT, g->req->strategy_id, strategy_then(g), max);
        }
    }
    return RISK_ACCEPTED;
}

static int64_t abs_i64(int64_t v)
{
    return v < 0 ? -v : v;
}

/* Value of L or K at the reference price; what the row has of it serves when neither price nor quantity moved. */
static bool worst_value(const gate_t *g, int64_t px, int64_t qty, int64_t qty_now, int64_t value_now, int64_t *out)
{
    if (qty == qty_now && px == g->row->mark_px) {
        *out = value_now;
        return value_now != INT64_MAX && value_now != -INT64_MAX;
    }
    if (!instrument_notional(g->ins, px, abs_i64(qty), out)) {
        return false;
    }
    *out = qty < 0 ? -*out : *out;
    return true;
}

typedef struct money { /* of the account, with the request in place */
    bool    raises;    /* max(|L|, |K|) of the instrument: 223 and 225 stop no other order */
    int64_t gross_own; /* of the instrument alone */
    i128_t  gross;
    i128_t  net; /* on the side of the request */
} money_t;

/* false = a value does not fit. */
static inline bool money_then(gate_t *g, money_t *m)
{
    const int64_t ref_px = risk_ref_px(g->ins, g->ref.px2);
    if (!worst_value(g, ref_px, g->long_then, g->long_now, g->row->value_long, &g->value_long) ||
        !worst_value(g, ref_px, g->short_then, g->short_now, g->row->value_short, &g->value_short)) {
        return false;
    }
    m->raises =
        max_i64(abs_i64(g->long_then), abs_i64(g->short_then)) > max_i64(abs_i64(g->long_now), abs_i64(g->short_now));
    m->gross_own = gross_of(g->value_long, g->value_short);
    m->gross     = g->acc->gross - gross_of(g->row->value_long, g->row->value_short) + m->gross_own;
    m->net       = g->buy ? g->acc->net_long - g->row->value_long + g->value_long
                          : g->acc->net_short - g->row->value_short + g->value_short;
    return true;
}

static uint16_t check_money(gate_t *g)
{
    const risk_limits_t *limits = &g->acc->limits;
    money_t              m;
    if (!money_then(g, &m)) {
        return deny_row(g, RISK_ARITHMETIC_OVERFLOW, g->buy ? g->long_then : g->short_then, INT64_MAX);
    }
    if (m.raises && m.gross > limits->max_gross) {
        return deny_account(g, RISK_MAX_GROSS, m.gross, limits->max_gross);
    }
    if (m.net > limits->max_net) {
        return deny_account(g, RISK_MAX_NET, m.net, limits->max_net);
    }
    if (m.raises && mul_i64(m.gross_own, BP) > mul_i64(limits->max_gross, limits->concentration_bp)) {
        return deny_row(g, RISK_CONCENTRATION, m.gross_own, mul_i64(limits->max_gross, limits->concentration_bp) / BP);
    }
    return RISK_ACCEPTED;
}

static uint16_t check_open(gate_t *g)
{
    const risk_limits_t *limits = &g->acc->limits;
    if (!g->amend && g->row->open_orders >= g->row->max_open_orders) {
        return deny_row(g, RISK_MAX_OPEN_ORDERS_INSTRUMENT, (i128_t)g->row->open_orders + 1, g->row->max_open_orders);
    }
    if (!g->amend && g->acc->open_orders >= limits->max_open_orders) {
        return deny_account(g, RISK_MAX_OPEN_ORDERS_ACCOUNT, (i128_t)g->acc->open_orders + 1, limits->max_open_orders);
    }
    const i128_t open_value = g->acc->open_value - g->value_before + g->value_after;
    if (open_value > limits->max_open_value) {
        return deny_account(g, RISK_MAX_OPEN_VALUE, open_value, limits->max_open_value);
    }
    return RISK_ACCEPTED;
}

/* ---- reserve ----------------------------------------------------------------------------------------------------- */

static void soft_test(gate_t *g, int64_t *soft_ns, risk_code_t code, scope_t scope_type, uint32_t scope_id,
                      i128_t observed, i128_t limit)
{
    if (observed <= limit >> 1 && g->risk->cfg.soft_bp > BP / 2) {
        return; /* nearly always: less than half is used, and a product of 128 bits is saved */
    }
    if (observed > 0 && observed * BP >= limit * g->risk->cfg.soft_bp) {
        soft_tell(g, soft_ns, code, scope_type, scope_id, observed, limit);
    }
}

/* Limits that fill up, as they are used now that the request is reserved. */
static void soft_limits(gate_t *g)
{
    const uint32_t       account = g->req->account_id;
    const risk_limits_t *limits  = &g->acc->limits;
    risk_row_t          *row     = g->row;
    int64_t             *soft    = g->acc->soft_ns;
    const int            side    = g->buy ? ROW_SOFT_LONG : ROW_SOFT_SHORT;
    const risk_code_t    code    = g->buy ? RISK_MAX_LONG : RISK_MAX_SHORT;
    soft_test(g, &row->soft_ns[side], code, SCOPE_ACCOUNT_INSTRUMENT, account, g->buy ? row_long(row) : row_short(row),
              g->buy ? row->max_long : row->max_short);
    if (g->strategy) {
        risk_row_t *srow = g->strategy_row;
        soft_test(g, &srow->soft_ns[side], code, SCOPE_STRATEGY_INSTRUMENT, g->req->strategy_id,
                  g->buy ? row_long(srow) : row_short(srow), g->buy ? srow->max_long : srow->max_short);
    }
    soft_test(g, &soft[ACCOUNT_SOFT_GROSS], RISK_MAX_GROSS, SCOPE_ACCOUNT, account, g->acc->gross, limits->max_gross);
    soft_test(g, &soft[g->buy ? ACCOUNT_SOFT_NET_LONG : ACCOUNT_SOFT_NET_SHORT], RISK_MAX_NET, SCOPE_ACCOUNT, account,
              g->buy ? g->acc->net_long : g->acc->net_short, limits->max_net);
    soft_test(g, &row->soft_ns[ROW_SOFT_ORDERS], RISK_MAX_OPEN_ORDERS_INSTRUMENT, SCOPE_ACCOUNT_INSTRUMENT, account,
              row->open_orders, row->max_open_orders);
    soft_test(g, &soft[ACCOUNT_SOFT_ORDERS], RISK_MAX_OPEN_ORDERS_ACCOUNT, SCOPE_ACCOUNT, account, g->acc->open_orders,
              limits->max_open_orders);
    soft_test(g, &soft[ACCOUNT_SOFT_OPEN_VALUE], RISK_MAX_OPEN_VALUE, SCOPE_ACCOUNT, account, g->acc->open_value,
              limits->max_open_value);
    soft_test(g, &soft[ACCOUNT_SOFT_RATE_VALUE], RISK_RATE_VALUE, SCOPE_ACCOUNT, account, g->acc->value_sum,
              limits->value_w_max);
}

static void reserve(gate_t *g)
{
    rates_pass(g);
    value_ring(g)[g->acc->value_head++ & g->risk->value_mask] =
        (risk_value_t){.mono_ns = g->in->now.mono_ns, .value = g->value};
    g->acc->value_sum += g->value;
    if (!g->amend) {
        passed_ring(g)[g->acc->dup_head++ & g->risk->window_mask] =
            (risk_passed_t){.mono_ns       = g->in->now.mono_ns,
                            .px            = g->px,
                            .qty           = g->req->qty,
                            .instrument_id = g->req->instrument_id,
                            .side          = g->req->side,
                            .ord_type      = g->req->ord_type};
    }
    risk_row_move(g->acc, g->row, g->strategy_row, &g->before, &g->after, (i128_t)g->value_after - g->value_before);
    g->row->mark_px    = risk_ref_px(g->ins, g->ref.px2);
    g->market->mark_px = g->row->mark_px;
    if (g->amend) { /* reserves the greater of old and new, which is not what was tested */
        risk_row_revalue(g->ins, g->acc, g->row);
    } else {
        risk_row_value(g->acc, g->row, g->value_long, g->value_short);
    }
    g->out->px       = g->px;
    g->out->px_value = g->px_value;
    soft_limits(g);
}

/* A cancel always passes; one over its budget is told. */
static void cancel_pass(gate_t *g)
{
    rate_scope_t scopes[3];
    const int    n = rate_scopes(g, scopes);
    for (int i = 0; i < n; i++) {
        risk_rate_t *rate = &scopes[i].rate[RATE_CANCELS];
        if (rate_reached(g, &scopes[i], RATE_CANCELS, rate->n)) {
            soft_tell(g, &rate->soft_ns, RISK_RATE_CANCELS, scopes[i].scope_type, scopes[i].scope_id,
                      (i128_t)rate->n + 1, rate->n);
        }
        rate_ring(g, &scopes[i], RATE_CANCELS)[rate->passed++ & g->risk->window_mask] = g->in->now.mono_ns;
    }
}

/* Has the id been seen? Denied ids count as seen. */
static bool id_seen(const risk_t *r, uint64_t cl_ord_id)
{
    return cl_ord_id_seq(cl_ord_id) == 0 || cl_ord_id_mark(cl_ord_id) <= r->seen[cl_ord_id_origin(cl_ord_id)];
}

static uint16_t chain(gate_t *g, bool seen)
{
    uint16_t code;
    if ((code = check_names(g)) || (code = check_target(g))) {
        return code;
    }
    if (g->req->action == ORDER_ACTION_CANCEL) {
        return RISK_ACCEPTED;
    }
    if ((code = check_figures(g, seen)) || (code = check_authority(g)) || (code = check_state(g)) ||
        (code = check_market(g)) || (code = check_price(g)) || (code = check_size(g)) || (code = check_rates(g)) ||
        (code = check_self_trade(g)) || (code = check_position(g)) || (code = check_money(g))) {
        return code;
    }
    return check_open(g);
}

/* Not zeroed: each stage sets what later ones read. */
static inline void gate_begin(gate_t *g, const risk_t *r, const risk_in_t *in, risk_out_t *out)
{
    const order_req_t *req = in->req;
    g->risk                = r;
    g->in                  = in;
    g->out                 = out;
    g->req                 = req;
    g->buy                 = req->side == SIDE_BUY;
    g->amend               = req->action == ORDER_ACTION_REPLACE;
    g->repeats             = !g->amend;
    g->sized               = false;
    g->window_read         = false;
    g->strategy            = NULL;
    g->strategy_row        = NULL;
    out->verdict           = (verdict_t){.cl_ord_id     = req->cl_ord_id,
                                         .order_seq     = in->order_seq,
                                         .engine_utc_ns = in->now.utc_ns,
                                         .instrument_id = req->instrument_id,
                                         .account_id    = req->account_id,
                                         .strategy_id   = req->strategy_id,
                                         .limit_version = r->limit_version,
                                         .action        = req->action};
    out->px                = 0;
    out->px_value          = 0;
    out->soft_count        = 0;
    out->reserved          = 0;
}

/* Flattened: the chain has other callers, but this is the one that is hot, and its gate is to live in registers. */
__attribute__((flatten)) void risk_check(risk_t *r, const risk_in_t *in, risk_out_t *out)
{
    const order_req_t *req    = in->req;
    uint64_t          *newest = &r->seen[cl_ord_id_origin(req->cl_ord_id)];
    const bool         seen   = id_seen(r, req->cl_ord_id);
    gate_t             g;
    gate_begin(&g, r, in, out);
    if (!seen) { /* from now on it has been */
        *newest = cl_ord_id_mark(req->cl_ord_id);
    }
    r->counts.received++;
    const uint16_t code = chain(&g, seen);
    if (g.window_read) {
        g.acc->value_tail = g.window_tail;
        g.acc->value_sum  = g.window_sum;
    }
    if (code != RISK_ACCEPTED) {
        r->counts.rejected++;
        return;
    }
    r->counts.accepted++;
    if (req->action == ORDER_ACTION_CANCEL) {
        cancel_pass(&g);
    } else {
        reserve(&g);
    }
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* Is it the size of the order that stands against it? */
static bool too_large(uint16_t code)
{
    switch (code) {
    case RISK_QTY_NOT_ON_LOT:
    case RISK_ARITHMETIC_OVERFLOW:
    case RISK_SHORT_NOT_PERMITTED:
    case RISK_REDUCE_ONLY:
    case RISK_DAY_LOSS:
    case RISK_REALISED_LOSS:
    case RISK_DRAWDOWN:
    case RISK_MAX_ORDER_QTY:
    case RISK_MAX_ORDER_VALUE:
    case RISK_RATE_VALUE:
    case RISK_MAX_LONG:
    case RISK_MAX_SHORT:
    case RISK_MAX_GROSS:
    case RISK_MAX_NET:
    case RISK_CONCENTRATION:
    case RISK_MAX_OPEN_VALUE: return true;
    default: return false;
    }
}

static bool too_small(uint16_t code)
{
    return code == RISK_QTY_BELOW_MIN || code == RISK_NOTIONAL_BELOW_MIN;
}

/* The largest quantity on the lot, below what was asked for, that passes. What is too large stays so with more, what is
 * too small with less, and every other denial is that of any quantity; but a duplicate (277) is so in one quantity only,
 * so it is left out of the search and stepped over at its end. */
static int64_t largest_passing(gate_t *g, order_req_t *req, int64_t asked)
{
    const int64_t lot = g->in->ins->def.lot;
    int64_t       lo = 0, hi = asked / lot + (asked % lot != 0); /* in lots: not found, too large */
    bool          found = false;
    g->repeats          = false;
    while (hi - lo > 1) {
        const int64_t mid   = lo + (hi - lo) / 2;
        req->qty            = mid * lot;
        const uint16_t code = chain(g, false);
        if (code == RISK_ACCEPTED || too_small(code)) {
            found = code == RISK_ACCEPTED;
            lo    = mid;
        } else if (too_large(code)) {
            hi = mid;
        } else {
            return 0;
        }
    }
    g->repeats = true;
    for (; found && lo > 0; lo--) {
        req->qty            = lo * lot;
        const uint16_t code = chain(g, false);
        if (code != RISK_DUPLICATE_ORDER) {
            return code == RISK_ACCEPTED ? req->qty : 0;
        }
    }
    return 0;
}

/* Would this use, rounded down, be more than most? A product and no division: nearly always it is not. */
static inline bool use_raises(int64_t most, i128_t used, i128_t limit)
{
    return used > 0 && used * RISK_SCORE_MAX >= (most + 1) * limit;
}

static inline void use_add(int64_t *most, i128_t used, i128_t limit)
{
    if (use_raises(*most, used, limit)) {
        *most = used >= limit ? RISK_SCORE_MAX : (int64_t)(used * RISK_SCORE_MAX / limit);
    }
}

/* 271, 272: how many passed events lie in the window is the largest number that rate_reached; looked for from the first
 * one up that is of interest, and to n - 1, with which one more uses it up. */
static void use_add_rate(const gate_t *g, int64_t *most, const rate_scope_t *scope, risk_rate_kind_t kind)
{
    const int64_t n  = scope->rate[kind].n;
    int64_t       lo = *most * n / RISK_SCORE_MAX, hi = lo + 1;
    if (*most == RISK_SCORE_MAX || (lo > 0 && !rate_reached(g, scope, kind, lo))) {
        return;
    }
    for (int64_t step = 1; hi < n && rate_reached(g, scope, kind, hi); step *= 2) {
        lo = hi;
        hi = min_i64(n, hi + step);
    }
    while (hi - lo > 1) {
        const int64_t mid                                = lo + (hi - lo) / 2;
        *(rate_reached(g, scope, kind, mid) ? &lo : &hi) = mid;
    }
    use_add(most, (i128_t)lo + 1, n);
}

static bool value_left(const gate_t *g, const risk_value_t *ring, uint64_t at)
{
    return g->in->now.mono_ns - ring[at & g->risk->value_mask].mono_ns >= g->acc->limits.value_w_ns;
}

/* 273: exact. How many entries are in the window is found by bisection; what left it is taken off the sum one by one, but
 * only while the rest may be more than most. */
static void use_add_value_window(const gate_t *g, int64_t *most)
{
    const risk_account_t *acc  = g->acc;
    const risk_value_t   *ring = value_ring(g);
    const i128_t          cap  = g->risk->cfg.value_window_max;
    uint64_t              at   = acc->value_tail;
    i128_t                sum  = acc->value_sum + g->value;
    if (use_raises(*most, (i128_t)(acc->value_head - at) + 1, cap)) {
        uint64_t lo = at, hi = acc->value_head; /* the first in the window */
        while (lo < hi) {
            const uint64_t mid = lo + (hi - lo) / 2;
            if (value_left(g, ring, mid)) {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        use_add(most, (i128_t)(acc->value_head - lo) + 1, cap);
    }
    for (; at != acc->value_head && use_raises(*most, sum, acc->limits.value_w_max) && value_left(g, ring, at); at++) {
        sum -= ring[at & g->risk->value_mask].value;
    }
    use_add(most, sum, acc->limits.value_w_max);
}

/* Use of the limit that is used most, with the request in place. A set that is missing is all zeros: used up. */
static uint16_t score_of(gate_t *g)
{
    const risk_limits_t *account = &g->acc->limits, *market = &g->market->limits;
    const risk_row_t    *row = g->row, *strategy = g->strategy_row;
    rate_scope_t         scopes[3];
    money_t              m;
    int64_t              most = 0;
    if (!money_then(g, &m)) {
        return RISK_SCORE_MAX;
    }
    use_add(&most, g->req->qty, min_i64(market->max_qty, row->max_qty));
    use_add(&most, g->value, min_i64(market->max_value, account->max_value));
    use_add(&most, g->buy ? g->long_then : g->short_then, g->buy ? row->max_long : row->max_short);
    if (strategy) {
        use_add(&most, strategy_then(g), g->buy ? strategy->max_long : strategy->max_short);
    }
    if (m.raises) {
        use_add(&most, m.gross, account->max_gross);
        use_add(&most, mul_i64(m.gross_own, BP), mul_i64(account->max_gross, account->concentration_bp));
    }
    use_add(&most, m.net, account->max_net);
    use_add(&most, (i128_t)row->open_orders + 1, row->max_open_orders);
    use_add(&most, (i128_t)g->acc->open_orders + 1, account->max_open_orders);
    use_add(&most, g->acc->open_value - g->value_before + g->value_after, account->max_open_value);
    for (int i = 0, n = rate_scopes(g, scopes); i < n; i++) {
        for (int k = 0; k < 2; k++) {
            use_add_rate(g, &most, &scopes[i], RATE_TESTS[k].kind);
        }
    }
    use_add_value_window(g, &most);
    return (uint16_t)most;
}

void risk_probe(const risk_t *r, const risk_in_t *in, risk_probe_t *out)
{
    order_req_t     req   = *in->req;
    const risk_in_t asked = {
        .req = &req, .ins = in->ins, .md = in->md, .orders = in->orders, .now = in->now, .order_seq = in->order_seq};
    risk_out_t said;
    gate_t     g;
    assert(req.action == ORDER_ACTION_NEW);
    gate_begin(&g, r, &asked, &said);
    const uint16_t code = chain(&g, id_seen(r, req.cl_ord_id));
    *out                = (risk_probe_t){.verdict = said.verdict, .score = RISK_SCORE_MAX};
    if (g.sized && g.px_known) {
        out->px    = g.px;
        out->score = g.ref.known ? score_of(&g) : RISK_SCORE_MAX;
    }
    if (code == RISK_ACCEPTED) {
        out->adjusted_qty = req.qty;
    } else if (too_large(code)) {
        out->adjusted_qty = largest_passing(&g, &req, req.qty);
    }
}
