/* What inputs do to money: marks, loss limits, fills, days. */
#include "core/engine/engine_private.h"

/* ---- profit and loss against the limits ------------------------------------------------------------------------- */
void money_judge(engine_t *e, uint32_t account)
{
    portfolio_account_t a;
    risk_loss_event_t   event;
    if (!portfolio_account(e->portfolio, account, 0, &a)) {
        return;
    }
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
    for (uint32_t account = 1; account <= e->s->accounts_max; account++) {
        risk_exposure_t exposure;
        if (e->accounts[account].open && risk_exposure(e->risk, account, id, &exposure) && exposure.pos != 0) {
            money_judge(e, account);
        }
    }
}

/* Book what a report did to money. Failing here would lose a fill, so the account is closed to new orders instead. */
void money_fill(engine_t *e, const order_effect_t *effect)
{
    const bool       bust       = effect->alarms & 1u << ALARM_BUST;
    const int64_t    signed_qty = bust ? -effect->qty : effect->qty;
    portfolio_fill_t fill       = {.account_id    = effect->account_id,
                                   .instrument_id = effect->instrument_id,
                                   .side          = signed_qty > 0 ? SIDE_BUY : SIDE_SELL,
                                   .qty           = signed_qty > 0 ? signed_qty : -signed_qty,
                                   .px            = effect->px,
                                   .fee           = bust ? -effect->fee : effect->fee};
    const err_t      err        = bust ? portfolio_bust(e->portfolio, &fill) : portfolio_fill(e->portfolio, &fill);
    if (err) {
        recover_unreconciled(e, effect->account_id, UNRECONCILED_UNBOOKED);
        emit_alarm(e, (alarm_t){.kind          = ALARM_ACCOUNT_UNRECONCILED,
                                .code          = (uint16_t)err,
                                .account_id    = effect->account_id,
                                .instrument_id = effect->instrument_id,
                                .observed      = effect->qty});
        return;
    }
    position_t position;
    if (portfolio_position(e->portfolio, effect->account_id, effect->instrument_id, &position)) {
        position.event_seq = e->s->seq;
        emit(e, MSG_POSITION, &position);
    }
}

/* The trading day is the UTC day: profit, loss and drawdown of "today" begin with it, and statistics. */
void money_day(engine_t *e)
{
    const int64_t day = e->now.utc_ns / NS_PER_DAY;
    if (day == e->s->day) {
        return;
    }
    e->s->day = day;
    for (uint32_t id = 1; id <= e->s->instrument_count; id++) {
        statistics_roll(&e->ins[id].day, e->now.utc_ns);
    }
    for (uint32_t account = 1; account <= e->s->accounts_max; account++) {
        if (e->accounts[account].open) {
            portfolio_day_start(e->portfolio, account);
        }
    }
}
