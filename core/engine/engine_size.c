/* CalculatePositionSize: a question of a lane, answered from the account's equity and the gate. */
#include "core/engine/engine_private.h"
#include "core/risk/size.h"

/* Equity of the account, which is in its home currency, in the money that the instrument settles in, rounded down. */
static bool equity_of(const engine_t *e, const portfolio_account_t *account, const instrument_t *ins, int64_t *out)
{
    fx_rate_t rate = {.rate = 1};
    if (account->ccy != ins->def.settle_ccy &&
        !portfolio_rate_find(e->portfolio, account->ccy, ins->def.settle_ccy, &rate)) {
        return false;
    }
    i128_t    num = mul_i64(account->equity, rate.rate), den = 1;
    const int shift = ins->def.money_exp - account->money_exp - rate.rate_exp;
    if (shift >= 0) {
        if (shift > POW10_MAX || num > INT64_MAX || num < INT64_MIN) {
            return false;
        }
        num *= pow10_i64((unsigned)shift);
    } else if (-shift > POW10_MAX) {
        return false;
    } else {
        den = pow10_i64((unsigned)-shift);
    }
    return fit_i64(div_floor(num, den), out);
}

/* The method's own answer; TARGET_WEIGHT's is signed. */
static err_t by_method(const size_req_t *req, const instrument_t *ins, int64_t px, int64_t equity, int64_t pos,
                       int64_t *out)
{
    const int64_t cap = req->max_weight_bp ? req->max_weight_bp : SIZE_BP;
    switch ((size_method_t)req->method) {
    case SIZE_FIXED_RISK: return size_fixed_risk(ins, equity, req->arg1, px, req->stop_px, cap, out);
    case SIZE_KELLY: return size_kelly(ins, equity, req->arg1, req->arg2, req->arg3, px, cap, out);
    case SIZE_VOL_TARGET: return size_vol_target(ins, equity, req->arg1, req->arg2, px, cap, out);
    case SIZE_TARGET_WEIGHT: return size_target_weight(ins, equity, req->arg1, px, pos, cap, out);
    default: return err_set(ERR_ARG, "size: no method %u", req->method);
    }
}

/* The price to reckon with: what was said, or the middle of the book on the tick, towards the side's own end. */
static int64_t price(const engine_t *e, now_t now, const size_req_t *req, const instrument_t *ins)
{
    risk_md_t md;
    if (req->px != 0) {
        return req->px;
    }
    engine_market_view(e, now, req->instrument_id, &md);
    if (!md.has_bid || !md.has_ask || md.feed_gap) {
        return 0;
    }
    const int64_t mid = (int64_t)div_floor((i128_t)md.bid_px + md.ask_px, 2);
    return req->side == SIDE_SELL ? instrument_round_up(ins, mid) : instrument_round_down(ins, mid);
}

static uint16_t judge(const engine_t *e, now_t now, uint32_t lane_id, const size_req_t *req, size_resp_t *out)
{
    const ins_state_t  *ins = ins_of(e, req->instrument_id);
    const lane_denial_t why = lane_asks(e, lane_id, req->account_id);
    portfolio_account_t account;
    position_t          position = {0};
    int64_t             wanted;
    if (why.code != RISK_ACCEPTED) {
        return (uint16_t)why.code;
    }
    if (!ins) {
        return RISK_UNKNOWN_INSTRUMENT;
    }
    if (!portfolio_account(e->portfolio, req->account_id, PORTFOLIO_HOME, &account)) {
        return RISK_UNKNOWN_ACCOUNT;
    }
    if (req->reserved != 0 || req->reserved2 != 0 || (req->side != SIDE_BUY && req->side != SIDE_SELL)) {
        return RISK_BAD_MESSAGE;
    }
    if (!equity_of(e, &account, &ins->ins, &out->equity)) {
        return RISK_LIMIT_MISSING;
    }
    out->px = price(e, now, req, &ins->ins);
    if (out->px == 0) {
        return RISK_NO_REFERENCE_PRICE;
    }
    portfolio_position(e->portfolio, req->account_id, req->instrument_id, &position);
    if (by_method(req, &ins->ins, out->px, out->equity, position.qty, &wanted) != ERR_OK) {
        return RISK_BAD_MESSAGE;
    }
    if (req->method == SIZE_TARGET_WEIGHT) {
        out->side = wanted < 0 ? SIDE_SELL : SIDE_BUY;
    }
    out->wanted_qty = wanted < 0 ? -wanted : wanted;
    return RISK_ACCEPTED;
}

void engine_size(const engine_t *e, now_t now, uint32_t lane_id, const size_req_t *req, size_resp_t *out)
{
    *out      = (size_resp_t){.corr_hi           = req->corr_hi,
                              .corr_lo           = req->corr_lo,
                              .portfolio_version = e->s->seq,
                              .engine_utc_ns     = now.utc_ns,
                              .account_id        = req->account_id,
                              .instrument_id     = req->instrument_id,
                              .side              = req->side,
                              .method            = req->method};
    out->code = judge(e, now, lane_id, req, out);
    if (out->code != RISK_ACCEPTED || out->wanted_qty == 0) {
        return;
    }
    const risk_check_req_t ask = {.px            = out->px,
                                  .qty           = out->wanted_qty,
                                  .account_id    = req->account_id,
                                  .instrument_id = req->instrument_id,
                                  .side          = out->side,
                                  .ord_type      = ORD_TYPE_LIMIT,
                                  .tif           = TIF_DAY};
    risk_check_resp_t      said;
    engine_risk_check(e, now, lane_id, &ask, &said);
    out->code = said.code;
    out->qty  = said.adjusted_qty;
    if (!instrument_notional(&e->ins[req->instrument_id].ins, out->px, out->qty, &out->value)) {
        out->value = INT64_MAX;
    }
}
