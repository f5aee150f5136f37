#include "core/engine/engine_private.h"

/* ---- the engine itself ------------------------------------------------------------------------------------------- */
uint64_t engine_seq(const engine_t *e)
{
    return e->s->seq;
}

uint32_t engine_epoch(const engine_t *e)
{
    return e->s->boot.epoch;
}

const boot_t *engine_boot(const engine_t *e)
{
    return &e->s->boot;
}

const void *engine_image(const engine_t *e, size_t *bytes)
{
    *bytes = e->s->bytes;
    return e->s;
}

size_t engine_image_used(const engine_t *e)
{
    return e->s->mbo_used ? e->s->l3_off + e->s->l3_bytes * e->s->mbo_used
                          : e->s->book_off + e->s->book_bytes * e->s->instrument_count;
}

const risk_t *engine_risk(const engine_t *e)
{
    return e->risk;
}

uint32_t engine_accounts_max(const engine_t *e)
{
    return e->s->accounts_max;
}

uint32_t engine_account_count(const engine_t *e)
{
    return e->s->account_count;
}

uint32_t engine_instruments_max(const engine_t *e)
{
    return e->s->instruments_max;
}

uint32_t engine_instrument_count(const engine_t *e)
{
    return e->s->instrument_count;
}

uint32_t *engine_symbol_slot(const engine_t *e, uint16_t venue_id, const char *symbol)
{
    uint64_t at = hash_bytes(venue_id, symbol, strlen(symbol));
    for (;; at++) {
        uint32_t           *slot = &e->symbols[at & (e->s->symbol_slots - 1)];
        const instrument_t *ins  = &e->ins[*slot].ins;
        if (*slot == 0 || (ins->def.venue_id == venue_id && strcmp(ins->symbol, symbol) == 0)) {
            return slot;
        }
    }
}

uint32_t engine_instrument_find(const engine_t *e, uint16_t venue_id, const char *symbol)
{
    return *engine_symbol_slot(e, venue_id, symbol);
}

const instrument_t *engine_instrument(const engine_t *e, uint32_t id)
{
    const ins_state_t *ins = ins_of(e, id);
    return ins ? &ins->ins : NULL;
}

view_t engine_market(const engine_t *e, uint32_t id)
{
    return ins_of(e, id) ? market_of(e, id) : (view_t){0};
}

const book_t *engine_book(const engine_t *e, uint32_t id)
{
    const view_t market = engine_market(e, id);
    return market.kind == VIEW_L2 ? market.book : NULL;
}

const order_table_t *engine_orders(const engine_t *e)
{
    return e->orders;
}
const portfolio_t *engine_portfolio(const engine_t *e)
{
    return e->portfolio;
}
/* ---- records ----------------------------------------------------------------------------------------------------- */
bool engine_book_record(const engine_t *e, uint32_t id, uint32_t n, book_update_t *out, level_t *levels)
{
    if (!ins_of(e, id)) {
        return false;
    }
    assert(n <= BOOK_UPDATE_MAX_LEVELS / 2);
    const view_t   book = market_of(e, id);
    const uint32_t bids = view_levels(book, SIDE_BUY, levels, n);
    const uint32_t asks = view_levels(book, SIDE_SELL, levels + bids, n);
    *out                = (book_update_t){.instrument_id   = id,
                                          .flags           = BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST,
                                          .rpt_seq         = view_rpt_seq(book),
                                          .venue_seq_first = view_venue_seq(book),
                                          .venue_seq       = view_venue_seq(book),
                                          .ts_event_ns     = e->ins[id].book_event_ns,
                                          .ts_recv_ns      = e->ins[id].book_recv_ns,
                                          .bid_count       = (uint16_t)bids,
                                          .ask_count       = (uint16_t)asks};
    return true;
}

bool engine_trade_record(const engine_t *e, uint32_t id, trade_t *out)
{
    const ins_state_t *ins = ins_of(e, id);
    if (!ins || !ins->has_last) {
        return false;
    }
    *out = ins->last;
    return true;
}

bool engine_statistics_record(const engine_t *e, uint32_t id, statistics_t *out)
{
    const ins_state_t *ins = ins_of(e, id);
    if (!ins) {
        return false;
    }
    *out           = statistics_show(&ins->day);
    out->event_seq = e->s->seq;
    return true;
}

bool engine_feed_record(const engine_t *e, uint32_t id, feed_state_t *out)
{
    if (!ins_of(e, id)) {
        return false;
    }
    const view_t book = market_of(e, id);
    *out              = (feed_state_t){.instrument_id = id,
                                       .health        = (uint8_t)view_health(book),
                                       .reason        = (uint8_t)view_reason(book),
                                       .seq_to        = view_venue_seq(book),
                                       .ts_recv_ns    = e->ins[id].book_recv_ns};
    return true;
}

void engine_order_record(const engine_t *e, uint32_t row, order_record_t *out)
{
    const order_t *o = order_at(e->orders, row);
    int64_t        avg;
    if (o->cum_qty <= 0 || !fit_i64(o->px_qty / o->cum_qty, &avg)) {
        avg = 0;
    }
    *out = (order_record_t){.cl_ord_id     = o->cl_ord_id,
                            .order_id_hi   = o->order_id_hi,
                            .order_id_lo   = o->order_id_lo,
                            .corr_hi       = o->corr_hi,
                            .corr_lo       = o->corr_lo,
                            .px            = o->px,
                            .avg_px        = avg,
                            .order_qty     = o->order_qty,
                            .cum_qty       = o->cum_qty,
                            .leaves_qty    = order_leaves(o),
                            .event_seq     = e->s->seq,
                            .account_id    = o->account_id,
                            .instrument_id = o->instrument_id,
                            .tenant_id     = o->tenant_id,
                            .strategy_id   = o->strategy_id,
                            .side          = o->side,
                            .ord_status    = o->ord_status,
                            .ord_type      = o->ord_type,
                            .tif           = o->tif,
                            .exec_inst     = o->exec_inst};
}

bool engine_position_record(const engine_t *e, uint32_t account_id, uint32_t instrument_id, position_t *out)
{
    if (!portfolio_position(e->portfolio, account_id, instrument_id, out)) {
        return false;
    }
    out->event_seq = e->s->seq;
    return true;
}

static int64_t clamp(i128_t v)
{
    return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

bool engine_account_record(const engine_t *e, uint32_t account_id, account_record_t *out)
{
    portfolio_account_t  money;
    risk_account_state_t state;
    if (!portfolio_account(e->portfolio, account_id, PORTFOLIO_HOME, &money) ||
        !risk_account_state(e->risk, account_id, &state)) {
        return false;
    }
    *out = (account_record_t){.ccy         = money.ccy,
                              .initial     = money.initial,
                              .cash        = money.cash,
                              .realised    = money.realised,
                              .unrealised  = money.unrealised,
                              .fees        = money.fees,
                              .funding     = money.funding,
                              .equity      = money.equity,
                              .pnl_day     = money.pnl_day,
                              .drawdown    = money.drawdown,
                              .gross       = clamp(state.gross),
                              .net         = clamp(state.net_long > state.net_short ? state.net_long : state.net_short),
                              .open_value  = clamp(state.open_value),
                              .open_orders = state.open_orders,
                              .event_seq   = e->s->seq,
                              .account_id  = account_id,
                              .tenant_id   = e->s->tenant_id,
                              .money_exp   = e->accounts[account_id].money_exp,
                              .state_code  = risk_account_code(e->risk, account_id)};
    return true;
}

uint32_t engine_balance_rows(const engine_t *e)
{
    return e->s->accounts_max * PORTFOLIO_CCYS_MAX + 1;
}

/* What may still be spent: of cash, what purchases may use less what open orders hold; of an account on margin, in its home
 * currency, equity less the margin of its worst case. */
static i128_t available(const engine_t *e, uint32_t account_id, uint32_t index, const portfolio_account_t *money)
{
    portfolio_account_t  home;
    risk_account_state_t state;
    if (index != 0 || !portfolio_on_margin(e->portfolio, account_id) ||
        !risk_account_state(e->risk, account_id, &state)) {
        return (i128_t)money->settled - money->hold;
    }
    portfolio_account(e->portfolio, account_id, PORTFOLIO_HOME, &home);
    return (i128_t)home.equity - state.need;
}

bool engine_balance_record(const engine_t *e, uint32_t row, balance_t *out)
{
    const uint32_t      account_id = row / PORTFOLIO_CCYS_MAX + 1;
    portfolio_account_t money, home;
    if (account_id <= e->s->accounts_max) {
        if (!portfolio_account(e->portfolio, account_id, row % PORTFOLIO_CCYS_MAX, &money)) {
            return false;
        }
    } else if (row < engine_balance_rows(e) && portfolio_account(e->portfolio, 1, 0, &home)) {
        portfolio_tenant(e->portfolio, home.ccy, &money);
    } else {
        return false;
    }
    *out = (balance_t){.ccy        = money.ccy,
                       .initial    = money.initial,
                       .cash       = money.cash,
                       .hold       = money.hold,
                       .available  = clamp(account_id <= e->s->accounts_max
                                               ? available(e, account_id, row % PORTFOLIO_CCYS_MAX, &money)
                                               : (i128_t)money.settled - money.hold),
                       .realised   = money.realised,
                       .unrealised = money.unrealised,
                       .fees       = money.fees,
                       .funding    = money.funding,
                       .equity     = money.equity,
                       .fx_rate    = money.fx_rate,
                       .fx_utc_ns  = money.fx_utc_ns,
                       .event_seq  = e->s->seq,
                       .account_id = account_id <= e->s->accounts_max ? account_id : 0,
                       .money_exp  = (int8_t)money.money_exp,
                       .fx_exp     = (int8_t)money.fx_exp};
    return true;
}

uint32_t engine_sub_position_rows(const engine_t *e)
{
    return portfolio_rows(e->portfolio);
}

bool engine_sub_position_record(const engine_t *e, uint32_t row, sub_position_t *out)
{
    if (!portfolio_sub_position(e->portfolio, row, out)) {
        return false;
    }
    out->event_seq = e->s->seq;
    return true;
}

/* ---- hashes ------------------------------------------------------------------------------------------------------ */
uint64_t engine_output_hash(const engine_t *e)
{
    return e->s->output_hash;
}

/* Cold fields of the head that a later output depends on, in one place for hash and reader. */
static uint64_t head_hash(const engine_state_t *s)
{
    uint64_t h = hash_u64(hash_u64(0, s->seq), s->output_hash);
    h          = hash_u64(hash_i64(hash_u64(h, s->minted), s->day), s->requests);
    h          = hash_i64(h, s->trading_day);
    h          = hash_bytes(h, &s->boot, sizeof s->boot);
    h          = hash_u64(h, (uint64_t)s->queries_due << 16 | (uint64_t)s->queries_held << 8 | s->orders_wait);
    h          = hash_u64(h, s->judge_at);
    h          = hash_bytes(h, s->lanes, sizeof s->lanes[0] * s->lanes_max);
    h          = hash_u64(hash_u64(hash_u64(h, s->audits), s->alerts_raised), s->alerts_lost);
    h          = hash_bytes(h, s->alerts, sizeof s->alerts[0] * s->alert_count);
    h          = hash_bytes(h, &s->act, sizeof s->act);
    return hash_bytes(h, s->kills, sizeof s->kills[0] * s->kill_count);
}

static uint64_t accounts_hash(uint64_t h, const engine_t *e)
{
    const engine_state_t *s = e->s;
    h                       = hash_bytes(h, e->due, sizeof e->due[0] * (s->instruments_max / 64 + 1ull));
    h                       = hash_bytes(h, e->judge, sizeof e->judge[0] * (s->accounts_max / 64 + 1ull));
    h                       = hash_bytes(h, e->accounts, sizeof e->accounts[0] * (s->accounts_max + 1ull));
    h = hash_bytes(h, e->recons, sizeof e->recons[0] * (s->accounts_max + 1ull) * (s->venues_max + 1ull));
    return hash_bytes(h, e->venue_positions,
                      sizeof e->venue_positions[0] * (s->accounts_max + 1ull) * (s->instruments_max + 1ull));
}

uint64_t engine_state_hash(const engine_t *e)
{
    const engine_state_t *s = e->s;
    uint64_t              h = accounts_hash(head_hash(s), e);
    for (uint32_t id = 1; id <= s->instrument_count; id++) {
        const ins_state_t *ins = &e->ins[id];
        h                      = instrument_hash(h, &ins->ins);
        h                      = hash_bytes(h, &ins->last, sizeof ins->last);
        h                      = hash_bytes(h, &ins->quote, sizeof ins->quote);
        h = hash_i64(hash_i64(hash_i64(hash_i64(h, ins->last_mono_ns), ins->quote_mono_ns), ins->mark_bid),
                     ins->mark_ask);
        h = hash_i64(hash_i64(hash_i64(h, ins->asked_mono_ns), ins->book_event_ns), ins->book_recv_ns);
        h = hash_u64(h, (uint64_t)ins->marked << 32 | (uint64_t)ins->health << 24 | (uint64_t)ins->has_last << 16 |
                            (uint64_t)ins->asked << 8 | ins->ask);
        h = hash_u64(h, (uint64_t)ins->feed << 32 | ins->l3);
        h = hash_bytes(h, &ins->day, sizeof ins->day);
        h = hash_i64(hash_i64(h, ins->volume_mean), ins->volume_days);
        h = view_hash(h, market_of(e, id));
    }
    h = order_hash(h, e->orders);
    h = held_state_hash(h, e);
    h = risk_hash(h, e->risk);
    h = portfolio_hash(h, e->portfolio);
    for (uint32_t i = 0; i < s->strategy_count; i++) {
        h = hash_bytes(h, &s->strategies[i].cfg, sizeof s->strategies[i].cfg);
        h = hash_u64(h, s->strategies[i].minted);
        h = hash_bytes(h, state_of(e, i), s->strategies[i].state_bytes);
    }
    return h;
}

bool engine_venue_record(const engine_t *e, uint32_t venue_id, venue_def_t *out)
{
    const venue_def_t *def = act_venue(e, venue_id);
    if (!def) {
        return false;
    }
    *out = *def;
    return true;
}

bool engine_kill(const engine_t *e, uint32_t i, control_t *out)
{
    if (i >= e->s->kill_count) {
        return false;
    }
    *out = e->s->kills[i];
    return true;
}
