/* What inputs do to money: marks, loss limits, fills, holds, rates, movements, fees, days. */
#include "core/engine/engine_private.h"

#define VOLUME_DAYS 20 /* an average day's volume is that of about so many */

/* ---- profit and loss against the limits ------------------------------------------------------------------------- */
/* Currencies of an account whose rate is too old for an order (162): their figures are still in its sums. */
static uint32_t old_rates(const engine_t *e, uint32_t account)
{
    const uint64_t      home = e->accounts[account].ccy;
    portfolio_account_t other;
    uint32_t            old = 0;
    for (uint32_t i = 1; portfolio_account(e->portfolio, account, i, &other); i++) {
        old += other.fx_rate != 0 && !risk_fx_usable(e->risk, other.ccy, home, e->now);
    }
    return old;
}

/* A currency without a rate is in no sum of the account; one whose rate is old is not what it says: said once, until all
 * have one. */
static void judge_rates(engine_t *e, uint32_t account, uint32_t missing)
{
    account_state_t *a = &e->accounts[account];
    if (missing != 0 && !a->fx_missing) {
        emit_alarm(e, (alarm_t){.kind = ALARM_FX, .account_id = account, .observed = missing});
    }
    a->fx_missing = missing != 0;
}

void money_judge(engine_t *e, uint32_t account)
{
    portfolio_worth_t a;
    risk_loss_event_t event;
    if (!portfolio_worth(e->portfolio, account, &a)) {
        return;
    }
    judge_rates(e, account, a.missing + old_rates(e, account));
    risk_equity(e->risk, account, a.equity, a.settled);
    const risk_pnl_t pnl = {.day = a.pnl_day, .realised = a.realised_day, .equity = a.equity};
    risk_loss(e->risk, account, &pnl, e->now, &event);
    if (event.level == RISK_LOSS_NONE) {
        return;
    }
    emit_alarm(e, (alarm_t){.kind       = ALARM_LOSS,
                            .code       = event.code,
                            .account_id = account,
                            .observed   = event.observed,
                            .limit      = event.limit});
    if (event.level == RISK_LOSS_KILL) {
        act_kill(e, &(control_t){.kind = CONTROL_KILL, .scope_type = SCOPE_ACCOUNT, .scope_id = account, .value = 1});
    }
}

/* ---- rates ------------------------------------------------------------------------------------------------------- */
/* Risk takes each direction by itself. Accounts with other currencies are worth something else now. */
static err_t fx_tell(engine_t *e, uint64_t ccy, uint64_t to_ccy)
{
    fx_rate_t fx;
    err_t     err = ERR_OK;
    if (portfolio_rate_find(e->portfolio, ccy, to_ccy, &fx)) {
        err = risk_fx_set(e->risk, ccy, to_ccy, fx.rate, fx.rate_exp, e->now);
    }
    if (err == ERR_OK && portfolio_rate_find(e->portfolio, to_ccy, ccy, &fx)) {
        err = risk_fx_set(e->risk, to_ccy, ccy, fx.rate, fx.rate_exp, e->now);
    }
    for (uint32_t account = 1; account <= e->s->account_count; account++) {
        portfolio_account_t second;
        if (portfolio_account(e->portfolio, account, 1, &second)) {
            money_judge(e, account);
        }
    }
    return err;
}

static void fx_follow(engine_t *e, uint32_t id)
{
    fx_rate_t fx;
    if (portfolio_follow(e->portfolio, id, e->now.utc_ns, &fx) && fx_tell(e, fx.ccy, fx.to_ccy) != ERR_OK) {
        emit_alarm(e, (alarm_t){.kind = ALARM_FX, .instrument_id = id, .observed = fx.rate});
    }
}

/* ---- marks ------------------------------------------------------------------------------------------------------- */
/* New best prices of a LIVE book: positions and exposure take their value from them. */
void money_mark(engine_t *e, uint32_t id)
{
    ins_state_t *ins = &e->ins[id];
    risk_md_t    md;
    engine_market_view(e, e->now, id, &md);
    if (!md.has_bid && !md.has_ask && !md.has_last) {
        return;
    }
    const int64_t bid   = md.has_bid ? md.bid_px : md.has_last ? md.last_px : md.ask_px;
    const int64_t ask   = md.has_ask ? md.ask_px : md.has_last ? md.last_px : md.bid_px;
    const bool    moved = !ins->marked || bid != ins->mark_bid || ask != ins->mark_ask;
    ins->marked         = 1;
    ins->mark_bid       = bid;
    ins->mark_ask       = ask;
    if (portfolio_mark(e->portfolio, id, bid, ask) !=
        ERR_OK) { /* the value of a position does not fit: the old mark stays */
        emit_alarm(e, (alarm_t){.kind = ALARM_LIMIT, .instrument_id = id, .observed = bid, .limit = ask});
    }
    if (!moved) {
        return;
    }
    risk_mark(e->risk, &ins->ins, &md, e->now);
    if (portfolio_rate_follows(e->portfolio, id)) {
        fx_follow(e, id);
    }
    uint32_t cursor = 0;
    for (uint32_t account = portfolio_holder(e->portfolio, id, &cursor); account != 0;
         account          = portfolio_holder(e->portfolio, id, &cursor)) {
        money_judge(e, account);
    }
}

/* ---- fills ------------------------------------------------------------------------------------------------------- */
static portfolio_fill_t fill_of(const engine_t *e, const order_effect_t *effect, const exec_report_t *report,
                                int64_t qty, int64_t px, int64_t fee)
{
    return (portfolio_fill_t){.account_id      = effect->account_id,
                              .instrument_id   = effect->instrument_id,
                              .strategy_id     = effect->strategy_id,
                              .side            = qty > 0 ? SIDE_BUY : SIDE_SELL,
                              .position_effect = effect->position_effect,
                              .liquidity       = report->last_liquidity,
                              .fee_unknown     = (report->flags & EXEC_FEE_UNKNOWN) != 0,
                              .qty             = qty > 0 ? qty : -qty,
                              .px              = px,
                              .fee             = fee,
                              .exec_id_hi      = report->exec_id_hi,
                              .exec_id_lo      = report->exec_id_lo,
                              .utc_ns          = report->ts_event_ns > 0 ? report->ts_event_ns : e->now.utc_ns};
}

static err_t book(engine_t *e, const order_effect_t *effect, const exec_report_t *report)
{
    if (effect->alarms & 1u << ALARM_BUST) { /* the effect is the opposite of the fill */
        const portfolio_fill_t was = fill_of(e, effect, report, -effect->qty, effect->px, -effect->fee);
        return portfolio_bust(e->portfolio, &was);
    }
    const portfolio_fill_t now = fill_of(e, effect, report, effect->qty, effect->px, effect->fee);
    if (effect->corrected) {
        const portfolio_fill_t was =
            fill_of(e, effect, report, effect->undone_qty, effect->undone_px, effect->undone_fee);
        return portfolio_correct(e->portfolio, &was, &now);
    }
    return portfolio_fill(e->portfolio, &now);
}

static void tell_position(engine_t *e, uint32_t account, uint32_t id)
{
    position_t position;
    if (portfolio_position(e->portfolio, account, id, &position)) {
        position.event_seq = e->s->seq;
        emit(e, MSG_POSITION, &position);
    }
}

/* A schedule with a currency of its own that has no rate is charged in the settlement currency: said once, until it has. */
static void judge_fee(engine_t *e, const order_effect_t *effect, const exec_report_t *report)
{
    account_state_t *a = &e->accounts[effect->account_id];
    if (!(report->flags & EXEC_FEE_UNKNOWN)) {
        return;
    }
    const bool rate = portfolio_fee_rate(e->portfolio, effect->account_id, effect->instrument_id);
    if (!rate && !a->fee_missing) {
        emit_alarm(e, (alarm_t){.kind          = ALARM_FX,
                                .account_id    = effect->account_id,
                                .instrument_id = effect->instrument_id,
                                .observed      = 1});
    }
    a->fee_missing = !rate;
}

/* Book what a report did to money. Failing here would lose a fill, so the account is closed to new orders instead. */
void money_fill(engine_t *e, const order_effect_t *effect, const exec_report_t *report)
{
    const err_t err = book(e, effect, report);
    if (err) {
        recover_unreconciled(e, effect->account_id, UNRECONCILED_UNBOOKED);
        emit_alarm(e, (alarm_t){.kind          = ALARM_ACCOUNT_UNRECONCILED,
                                .code          = (uint16_t)err,
                                .account_id    = effect->account_id,
                                .instrument_id = effect->instrument_id,
                                .observed      = effect->qty});
        return;
    }
    judge_fee(e, effect, report);
    tell_position(e, effect->account_id, effect->instrument_id);
}

/* ---- holds ------------------------------------------------------------------------------------------------------- */
/* At the end of its prices that costs more. */
static void hold_part(engine_t *e, uint32_t account, uint32_t id, const order_part_t *part, bool take)
{
    if (part->counts && part->qty > 0) {
        const int64_t px = e->ins[id].ins.def.kind == INSTRUMENT_INVERSE ? part->px_lo : part->px_hi;
        portfolio_hold(e->portfolio, account, id, (side_t)part->side, px, part->qty, take);
    }
}

void money_hold(engine_t *e, uint32_t account, uint32_t id, const order_part_t *before, const order_part_t *after)
{
    if (before->qty != after->qty || before->px_lo != after->px_lo || before->px_hi != after->px_hi ||
        before->counts != after->counts) {
        hold_part(e, account, id, before, false);
        hold_part(e, account, id, after, true);
    }
}

/* ---- rates, movements and fees -------------------------------------------------------------------------------- */
err_t money_rate(engine_t *e, const fx_rate_t *told)
{
    fx_rate_t fx = *told;
    if (fx.ts_event_ns <= 0) { /* told by a person or a file: now */
        fx.ts_event_ns = e->now.utc_ns;
    }
    const err_t err = portfolio_rate(e->portfolio, &fx);
    return err == ERR_OK ? fx_tell(e, fx.ccy, fx.to_ccy) : err;
}

/* What a venue told of money and could not be booked: a person must see it. */
static err_t unbooked(engine_t *e, uint32_t account, uint32_t id, int64_t amount, err_t err)
{
    emit_alarm(
        e,
        (alarm_t){
            .kind = ALARM_CASH, .code = (uint16_t)err, .account_id = account, .instrument_id = id, .observed = amount});
    return err;
}

static void booked(engine_t *e, uint32_t account, uint32_t id, bool fresh)
{
    if (fresh) {
        tell_position(e, account, id);
        money_judge(e, account);
    }
}

err_t money_move(engine_t *e, const cash_move_t *move)
{
    bool        fresh;
    const err_t err = portfolio_cash_move(e->portfolio, move, &fresh);
    if (err) {
        return unbooked(e, move->account_id, move->instrument_id, move->amount, err);
    }
    booked(e, move->account_id, move->instrument_id, fresh);
    return ERR_OK;
}

err_t money_misc_fee(engine_t *e, const misc_fee_t *fee)
{
    bool        fresh;
    const err_t err = portfolio_misc_fee(e->portfolio, fee, &fresh);
    if (err) {
        return unbooked(e, fee->account_id, fee->instrument_id, fee->amount, err);
    }
    booked(e, fee->account_id, fee->instrument_id, fresh);
    return ERR_OK;
}

err_t money_schedule(engine_t *e, const fee_schedule_t *tier)
{
    return portfolio_fee_schedule(e->portfolio, tier);
}

/* ---- days -------------------------------------------------------------------------------------------------------- */
/* The average follows about VOLUME_DAYS days: the first ones count in full, a day without a trade does not. */
static void day_volume(engine_t *e, ins_state_t *ins)
{
    const int64_t volume = statistics_show(&ins->day).volume;
    if (volume > 0) {
        ins->volume_days = min_i64(ins->volume_days + 1, VOLUME_DAYS);
        ins->volume_mean += (volume - ins->volume_mean) / ins->volume_days;
        risk_volume(e->risk, ins->ins.def.instrument_id, ins->volume_mean);
    }
}

/* Statistics have UTC days. The trading day, of profit, loss, drawdown, turnover, is that of the desk's clock. */
void money_day_turn(engine_t *e)
{
    const int64_t day   = e->now.utc_ns / NS_PER_DAY;
    const int64_t shown = e->now.utc_ns + e->s->day_offset_ns;
    const int64_t today = (int64_t)div_floor(shown, NS_PER_DAY);
    const int64_t begun = max_i64(day * NS_PER_DAY, today * NS_PER_DAY - e->s->day_offset_ns);
    const int64_t over  = min_i64((day + 1) * NS_PER_DAY, (today + 1) * NS_PER_DAY - e->s->day_offset_ns);
    const bool    usual = e->now.utc_ns >= 0 && e->now.utc_ns < INT64_MAX - 2 * NS_PER_DAY;
    e->s->day_from_ns   = usual ? begun : 0; /* else asked with each input: near the ends of time these are no times */
    e->s->day_until_ns  = usual ? over : 0;
    if (day != e->s->day) {
        e->s->day = day;
        for (uint32_t id = 1; id <= e->s->instrument_count; id++) {
            day_volume(e, &e->ins[id]);
            statistics_roll(&e->ins[id].day, e->now.utc_ns);
        }
    }
    if (today != e->s->trading_day) {
        e->s->trading_day = today;
        risk_day(e->risk);
        for (uint32_t account = 1; account <= e->s->account_count; account++) {
            portfolio_day_start(e->portfolio, account);
        }
    }
}
