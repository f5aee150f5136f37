/* Exposure: rows and the sums over them, reference prices and marks, currencies. */
#include <assert.h>

#include "core/risk/risk_private.h"

#define PREFETCH_INSTRUMENT 384 /* bytes of its head: flags, marks, bounds, limits that most orders meet */

/* ---- currencies -------------------------------------------------------------------------------------------------- */

static risk_fx_t *fx_table(const risk_t *r)
{
    return risk_at(r, r->fx_off);
}

const risk_fx_t *risk_fx_find(const risk_t *r, uint64_t ccy, uint64_t to_ccy)
{
    static const risk_fx_t same  = {.rate = 1};
    const risk_fx_t       *table = fx_table(r);
    if (ccy == to_ccy) {
        return &same;
    }
    for (uint32_t i = 0; i < r->fx_count; i++) {
        if (table[i].ccy == ccy && table[i].to_ccy == to_ccy) {
            return &table[i];
        }
    }
    return NULL;
}

err_t risk_fx_set(risk_t *r, uint64_t ccy, uint64_t to_ccy, int64_t rate, int8_t rate_exp, now_t now)
{
    if (ccy == 0 || to_ccy == 0 || ccy == to_ccy || rate <= 0 || rate_exp < 0 || rate_exp > POW10_MAX) {
        return err_set(ERR_ARG, "risk: a rate of %lld in 10^-%d between currencies %#llx and %#llx is none",
                       (long long)rate, rate_exp, (unsigned long long)ccy, (unsigned long long)to_ccy);
    }
    risk_fx_t *table = fx_table(r);
    uint32_t   i     = 0;
    while (i < r->fx_count && (table[i].ccy != ccy || table[i].to_ccy != to_ccy)) {
        i++;
    }
    if (i == r->cfg.fx_max) {
        return err_set(ERR_LIMIT, "risk: rates for %u pairs of currencies, no more", r->cfg.fx_max);
    }
    r->fx_count = i == r->fx_count ? i + 1 : r->fx_count;
    table[i]    = (risk_fx_t){.ccy = ccy, .to_ccy = to_ccy, .rate = rate, .mono_ns = now.mono_ns, .rate_exp = rate_exp};
    return ERR_OK;
}

/* value >= 0 of one scale in another one, rounded up. false = it does not fit an int64. */
static bool fx_convert(const risk_fx_t *fx, int64_t from_exp, int64_t to_exp, i128_t value, int64_t *out)
{
    int64_t shift = from_exp + fx->rate_exp - to_exp;
    i128_t  money;
    if (value > INT64_MAX) {
        return false;
    }
    money = value * fx->rate;
    for (; shift < 0; shift++) {
        if (money > INT64_MAX) {
            return false;
        }
        money *= 10;
    }
    for (; shift > 0; shift -= min_i64(shift, POW10_MAX)) {
        money = div_ceil(money, pow10_i64((unsigned)min_i64(shift, POW10_MAX)));
    }
    return fit_i64(money, out);
}

bool risk_home(const risk_t *r, const risk_account_t *acc, const instrument_t *ins, int64_t value, int64_t *out)
{
    assert(!risk_is_home(acc, ins));
    const risk_fx_t *fx = risk_fx_find(r, ins->def.settle_ccy, acc->cfg.ccy);
    if (fx && fx_convert(fx, ins->def.money_exp, acc->cfg.money_exp, value, out)) {
        return true;
    }
    *out = INT64_MAX;
    return false;
}

i128_t risk_home_sum(const risk_t *r, const risk_account_t *acc, const instrument_t *ins, i128_t value)
{
    int64_t home;
    if (value == 0 || risk_is_home(acc, ins)) {
        return value;
    }
    if (value > INT64_MAX) { /* converted it might fit again, and be too small */
        return INT64_MAX;
    }
    risk_home(r, acc, ins, (int64_t)value, &home);
    return home;
}

i128_t risk_need_converted(const risk_t *r, const risk_account_t *acc, i128_t need)
{
    int64_t          firm;
    const risk_fx_t *fx = risk_fx_find(r, acc->cfg.ccy, r->firm_ccy);
    return fx && fx_convert(fx, acc->cfg.money_exp, r->firm_exp, need, &firm) ? firm : INT64_MAX;
}

void risk_equity(risk_t *r, uint32_t account_id, int64_t equity, int64_t cash_free)
{
    assert(account_id >= 1 && account_id <= r->cfg.accounts_max);
    risk_account(r, account_id)->equity    = equity;
    risk_account(r, account_id)->cash_free = cash_free;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static int64_t value_signed(const risk_t *r, const risk_account_t *acc, const instrument_t *ins, int64_t px,
                            int64_t qty)
{
    int64_t value;
    if (qty == INT64_MIN || !risk_notional(ins, risk_unit(&ins->def), px, qty < 0 ? -qty : qty, &value)) {
        value = INT64_MAX;
    } else if (!risk_is_home(acc, ins)) {
        risk_home(r, acc, ins, value, &value);
    }
    return qty < 0 ? -value : value;
}

void risk_row_revalue(risk_t *r, const instrument_t *ins, risk_account_t *acc, risk_row_t *row)
{
    const bool    broken = row->flags & ROW_BROKEN;
    const int64_t lng    = broken ? INT64_MAX : value_signed(r, acc, ins, row->mark_px, row_long(row));
    const int64_t shrt   = broken ? INT64_MAX : value_signed(r, acc, ins, row->mark_px, row_short(row));
    risk_row_value(r, acc, row, lng, shrt,
                   risk_need_of(risk_instrument(r, ins->def.instrument_id), gross_of(lng, shrt)));
}

bool risk_part_value(const instrument_t *ins, const order_part_t *part, int64_t *out)
{
    int64_t lo;
    int64_t hi;
    *out = 0;
    if (part->qty == 0) {
        return true;
    }
    if (!instrument_notional(ins, part->px_hi, part->qty, &hi) ||
        (part->px_lo != part->px_hi && !instrument_notional(ins, part->px_lo, part->qty, &lo))) {
        *out = INT64_MAX;
        return false;
    }
    *out = part->px_lo != part->px_hi ? max_i64(lo, hi) : hi;
    return true;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

uint32_t risk_holder_next(const risk_t *r, uint32_t instrument_id, uint32_t account_id)
{
    const uint64_t *words = risk_holders(r, instrument_id);
    const uint32_t  last  = r->cfg.accounts_max / 64;
    uint32_t        at    = (account_id + 1) / 64;
    if (at > last) {
        return 0;
    }
    uint64_t word = words[at] & ~0ULL << ((account_id + 1) & 63);
    while (word == 0) {
        if (++at > last) {
            return 0;
        }
        word = words[at];
    }
    return at * 64 + (uint32_t)__builtin_ctzll(word);
}

static risk_row_t *strategy_row_of(const risk_t *r, uint32_t strategy_id, uint32_t instrument_id)
{
    return strategy_id >= 1 && strategy_id <= r->cfg.strategies_max ? risk_strategy_row(r, strategy_id, instrument_id)
                                                                    : NULL;
}

void risk_row_move(risk_t *r, const instrument_t *ins, const risk_move_t *move)
{
    risk_moved(r, ins, risk_account(r, move->account_id), risk_row(r, move->account_id, ins->def.instrument_id),
               strategy_row_of(r, move->strategy_id, ins->def.instrument_id), move);
}

bool risk_fill(risk_t *r, const instrument_t *ins, uint32_t account_id, uint32_t strategy_id, int64_t qty, int64_t px)
{
    static const order_part_t none;
    const order_effect_t      effect = {.row           = ORDER_NONE,
                                        .account_id    = account_id,
                                        .strategy_id   = strategy_id,
                                        .instrument_id = ins->def.instrument_id,
                                        .booked        = 1,
                                        .qty           = qty,
                                        .px            = px,
                                        .before        = none,
                                        .after         = none};
    return risk_exec(r, ins, &effect);
}

/* Long and short of a hedging account, side by side: OPEN raises the fill's own side; CLOSE and NONE lower the other one,
 * and what is left raises its own. Their difference is the position. */
static void bucket_fill(risk_row_t *row, int64_t qty, bool opens)
{
    int64_t      *own   = qty > 0 ? &row->long_qty : &row->short_qty;
    int64_t      *other = qty > 0 ? &row->short_qty : &row->long_qty;
    const int64_t size  = qty > 0 ? qty : -qty;
    const int64_t shut  = opens ? 0 : min_i64(*other, size);
    *other -= shut;
    *own += size - shut;
}

/* A fill taken back: what it opened goes first; what it closed is there again. */
static void bucket_undo(risk_row_t *row, int64_t qty, bool opened)
{
    int64_t      *own   = qty > 0 ? &row->long_qty : &row->short_qty;
    int64_t      *other = qty > 0 ? &row->short_qty : &row->long_qty;
    const int64_t size  = qty > 0 ? qty : -qty;
    const int64_t gone  = opened ? min_i64(*own, size) : 0;
    *own -= gone;
    *other += size - gone;
}

static void buckets_book(risk_row_t *row, const order_effect_t *effect)
{
    const bool opens = effect->position_effect == POSITION_EFFECT_OPEN;
    if (row->flags & ROW_BROKEN) {
        return; /* sums that nobody may trust */
    }
    if (effect->alarms & 1U << ALARM_BUST) {
        bucket_undo(row, -effect->qty, opens);
        return;
    }
    if (effect->corrected) {
        bucket_undo(row, effect->undone_qty, opens);
    }
    bucket_fill(row, effect->qty, opens);
}

/* A booked quantity becomes position. */
static void book(risk_t *r, const instrument_t *ins, const order_effect_t *effect)
{
    const uint32_t  id           = ins->def.instrument_id;
    risk_account_t *acc          = risk_account(r, effect->account_id);
    risk_row_t     *row          = risk_row(r, effect->account_id, id);
    risk_row_t     *strategy_row = strategy_row_of(r, effect->strategy_id, id);
    const int64_t   qty          = effect->qty - (effect->corrected ? effect->undone_qty : 0); /* of one side: fits */
    risk_row_add(row, qty, 0, 0);
    risk_row_add(risk_tenant_row(r, acc->cfg.tenant_id, id), qty, 0, 0);
    if (strategy_row) {
        risk_row_add(strategy_row, qty, 0, 0);
    }
    if (acc->cfg.hedging) {
        buckets_book(row, effect);
    }
    risk_holder_note(r, effect->account_id, id, row);
    if (effect->row != ORDER_NONE || effect->status_after != ORD_STATUS_NONE) {
        const int64_t value = value_signed(r, acc, ins, effect->px, effect->qty);
        acc->traded_value += value < 0 ? -value : value; /* a bust is traded too: nothing is given back */
    }
}

bool risk_exec(risk_t *r, const instrument_t *ins, const order_effect_t *effect)
{
    if (effect->account_id == 0 || effect->account_id > r->cfg.accounts_max) {
        return !effect->booked;
    }
    risk_account_t *acc = risk_account(r, effect->account_id);
    if (effect->alarms & 1U << ALARM_OVERFILL) {
        acc->reduce_only = 1;
    }
    if (effect->alarms & 1U << ALARM_ACCOUNT_UNRECONCILED) {
        acc->unreconciled = 1;
    }
    if (!effect->booked && effect->row == ORDER_NONE) {
        return true;
    }
    assert(effect->instrument_id == ins->def.instrument_id && effect->instrument_id <= r->cfg.instruments_max);
    risk_row_t *row = risk_row(r, effect->account_id, effect->instrument_id);
    int64_t     was;
    int64_t     is;
    risk_part_value(ins, &effect->before, &was);
    risk_part_value(ins, &effect->after, &is);
    risk_row_move(r, ins,
                  &(risk_move_t){.account_id  = effect->account_id,
                                 .strategy_id = effect->strategy_id,
                                 .before      = &effect->before,
                                 .after       = &effect->after,
                                 .value       = (i128_t)is - was});
    if (effect->booked) {
        book(r, ins, effect);
    }
    const int64_t mark_px = risk_instrument(r, effect->instrument_id)->mark_px;
    row->mark_px          = mark_px != NO_MARK ? mark_px : effect->booked ? effect->px : row->mark_px;
    risk_row_revalue(r, ins, acc, row);
    return true;
}

/* ---- marks, volatility (185) ------------------------------------------------------------------------------------- */

void risk_vol_restart(risk_instrument_t *market)
{
    market->vol_from = 0;
}

enum { VOL_KEPT = RISK_VOL_SLICES + 2 }; /* slices whose end may be asked for */

/* A new reference price; what was in force at the end of each slice that is over by now is kept. */
static void vol_sample(risk_instrument_t *market, int64_t slice, int64_t px)
{
    if (market->vol_from == 0) {
        market->vol_from  = slice + 1;
        market->vol_slice = slice;
    }
    for (int64_t k = max_i64(market->vol_slice, slice - VOL_KEPT); k < slice; k++) {
        market->vol_px[k % VOL_KEPT] = market->vol_last;
    }
    market->vol_slice = max_i64(market->vol_slice, slice);
    market->vol_last  = px;
}

static void vol_judge(risk_t *r, uint32_t instrument_id, int64_t px, now_t now)
{
    risk_instrument_t *market = risk_instrument(r, instrument_id);
    const int64_t      width  = (market->limits.vol_w_ns + RISK_VOL_SLICES - 1) / RISK_VOL_SLICES;
    if (width == 0 || now.mono_ns < market->limits.vol_w_ns) {
        return; /* no limits, or time began less than a window ago */
    }
    vol_sample(market, now.mono_ns / width, px);
    const int64_t then = (now.mono_ns - market->limits.vol_w_ns) / width - 1; /* ended by t - w */
    if (then + 1 < market->vol_from || now.mono_ns < market->pause_until_ns) {
        return;
    }
    const int64_t base  = market->vol_px[then % VOL_KEPT];
    const i128_t  move  = (i128_t)px - base;
    const i128_t  bound = mul_i64(market->limits.vol_bp, base < 0 ? -base : base);
    const bool    up    = move > 0;
    if ((up ? move : -move) * BP > bound) {
        const i128_t last      = up ? base + bound / BP : base - bound / BP;
        market->pause_until_ns = now.mono_ns + market->limits.vol_pause_ns;
        risk_news_add(r, &(risk_news_t){.code          = RISK_VOLATILITY_PAUSE,
                                        .instrument_id = instrument_id,
                                        .observed      = px,
                                        .limit         = (int64_t)last}); /* px is beyond it */
    }
}

void risk_prefetch(const risk_t *r, uint32_t account_id, uint32_t strategy_id, uint32_t instrument_id)
{
    const risk_row_t        *row   = risk_row(r, account_id, instrument_id);
    const risk_row_t        *strat = risk_strategy_row(r, strategy_id, instrument_id);
    const risk_instrument_t *ins   = risk_instrument(r, instrument_id);
    for (size_t line = 0; line < PREFETCH_INSTRUMENT; line += 64) {
        __builtin_prefetch((const char *)ins + line, 1);
    }
    __builtin_prefetch(row, 1);
    __builtin_prefetch((const char *)row + 64, 1);
    __builtin_prefetch(strat, 1);
    __builtin_prefetch((const char *)strat + 64, 1);
}

void risk_mark(risk_t *r, const instrument_t *ins, const risk_md_t *md, now_t now)
{
    const uint32_t instrument_id = ins->def.instrument_id;
    assert(instrument_id >= 1 && instrument_id <= r->cfg.instruments_max);
    const risk_ref_t ref = risk_ref_find(ins, md, &risk_instrument(r, instrument_id)->limits, now);
    if (!ref.known) {
        return;
    }
    const int64_t px                           = risk_ref_px(ins, ref.px2);
    risk_instrument(r, instrument_id)->mark_px = px;
    vol_judge(r, instrument_id, px, now);
    for (uint32_t id = risk_holder_next(r, instrument_id, 0); id != 0; id = risk_holder_next(r, instrument_id, id)) {
        risk_row_t     *row = risk_row(r, id, instrument_id);
        risk_account_t *acc = risk_account(r, id);
        if (!risk_is_home(acc, ins)) { /* the rate may have moved, and with it what open orders are worth */
            risk_open_revalue(r, ins, acc, row);
        } else if (row->mark_px == px) {
            continue;
        }
        row->mark_px = px;
        risk_row_revalue(r, ins, acc, row);
    }
}
