/* Fees: by the account's schedule where the venue does not say them, and those told beside executions. */
#include "core/portfolio/portfolio_private.h"

/* ---- schedules --------------------------------------------------------------------------------------------------- */
static err_t tier_check(const fee_schedule_t *t, const schedule_t *s)
{
    const int64_t rates[] = {t->maker, t->taker, t->tax_buy, t->tax_sell};
    for (unsigned i = 0; i < 4; i++) {
        if (rates[i] > FEE_RATE_MAX || rates[i] < (i < 2 ? -FEE_RATE_MAX : 0)) {
            return err_set(ERR_ARG,
                           "portfolio: fee schedule %u, tier %u: rate %lld e-8, limit %lld, and no tax below 0",
                           t->schedule_id, t->tier, (long long)rates[i], FEE_RATE_MAX);
        }
    }
    if (t->tiers < 1 || t->tiers > FEE_TIERS_MAX || t->tier != s->got || (s->got > 0 && t->tiers != s->tiers)) {
        return err_set(ERR_ARG, "portfolio: fee schedule %u: tier %u of %u, limit %u next, of at most %u",
                       t->schedule_id, t->tier, t->tiers, s->got, FEE_TIERS_MAX);
    }
    if (t->min_fee < 0 || t->min_fee > FEE_MONEY_MAX || (s->got > 0 && t->ccy != s->tier[0].ccy) ||
        (s->got == 0 ? t->from_value != 0 : t->from_value <= s->tier[s->got - 1].from_value)) {
        return err_set(
            ERR_ARG,
            "portfolio: fee schedule %u, tier %u: minimum %lld, from %lld, limit 0..%lld, from 0 and rising, "
            "all tiers in one currency",
            t->schedule_id, t->tier, (long long)t->min_fee, (long long)t->from_value, FEE_MONEY_MAX);
    }
    return ERR_OK;
}

err_t portfolio_fee_schedule(portfolio_t *p, const fee_schedule_t *t)
{
    if (t->schedule_id < 1 || t->schedule_id > PORTFOLIO_SCHEDULES_MAX) {
        return err_set(ERR_ARG, "portfolio: fee schedule %u, limit 1..%u", t->schedule_id, PORTFOLIO_SCHEDULES_MAX);
    }
    schedule_t *s = &p->schedule[t->schedule_id - 1];
    if (t->tier < s->got) {
        return memcmp(&s->tier[t->tier], t, sizeof *t) == 0
                   ? ERR_OK
                   : err_set(ERR_EXISTS, "portfolio: fee schedule %u has a tier %u already, and another one",
                             t->schedule_id, t->tier);
    }
    const err_t err = tier_check(t, s);
    if (err == ERR_OK) {
        s->tier[s->got++] = *t;
        s->tiers          = t->tiers;
    }
    return err;
}

static const fee_schedule_t *tier_of(const portfolio_t *p, const account_t *a)
{
    const schedule_t *s      = &p->schedule[a->schedule - 1];
    const i128_t      volume = fee_window_sum(&a->window);
    uint32_t          i      = s->tiers - 1;
    while (i > 0 && volume < mul_i64(s->tier[i].from_value, pow10_i64((unsigned)a->cash[0].money_exp))) {
        i--;
    }
    return &s->tier[i];
}

i128_t charge_most(const portfolio_t *p, const account_t *a, const instrument_t *ins, side_t side, int64_t px,
                   int64_t qty)
{
    i128_t most = 0;
    if (a->schedule != 0) {
        const schedule_t *s = &p->schedule[a->schedule - 1];
        for (uint32_t i = 0; i < s->tiers; i++) {
            const fee_schedule_t *t   = &s->tier[i];
            const int64_t         fee = max_i64(t->min_fee, fee_of_value(ins, px, qty, max_i64(t->maker, t->taker)));
            const int64_t         tax = fee_of_value(ins, px, qty, side == SIDE_BUY ? t->tax_buy : t->tax_sell);
            most                      = (i128_t)fee + tax > most ? (i128_t)fee + tax : most;
        }
    }
    return most;
}

/* ---- a fee in any currency --------------------------------------------------------------------------------------- */
static bool row_fee(portfolio_t *p, undo_t *u, uint32_t instrument_id, uint32_t strategy_id, i128_t amount)
{
    uint32_t place = row_find(p, u->account_id, instrument_id, strategy_id);
    if (place == 0) {
        const bool hedging = (account_of(p, u->account_id)->flags & ACCOUNT_HEDGING) != 0;
        place              = row_make(p, u->account_id, instrument_id, strategy_id, hedging ? SIDE_BUY : SIDE_NONE);
        if (place == 0) {
            return false;
        }
    }
    undo_row(u, p, place);
    return total_add(&row_at(p, place)->fees, amount);
}

bool charge(portfolio_t *p, undo_t *u, uint32_t instrument_id, uint32_t strategy_id, uint64_t ccy, i128_t amount)
{
    account_t     *a = account_of(p, u->account_id);
    const uint32_t i = cash_open(p, a, ccy);
    if (amount == 0) {
        return true;
    }
    if (i == PORTFOLIO_CCYS_MAX || !ledger_pay(&a->cash[i], -amount) || !total_add(&a->cash[i].fees, amount)) {
        return false;
    }
    if (ccy != slot_of(p, instrument_id)->ins.def.settle_ccy) {
        return true;
    }
    return row_fee(p, u, instrument_id, 0, amount) &&
           (strategy_id == 0 || row_fee(p, u, instrument_id, strategy_id, amount));
}

/* ---- fills ------------------------------------------------------------------------------------------------------- */
/* Money traded in the home currency; 0 where there is no rate. */
static int64_t traded(const portfolio_t *p, const account_t *a, const portfolio_fill_t *f)
{
    const instrument_t *ins   = &slot_of(p, f->instrument_id)->ins;
    int64_t             value = 0, home;
    const bool          fits  = instrument_notional(ins, f->px, f->qty, &value);
    assert(fits); /* its cash flow did */
    if (ins->def.settle_ccy == a->cash[0].ccy) {
        return value;
    }
    return fx_apply(p, fx_place(p, ins->def.settle_ccy, a->cash[0].ccy), ins->def.money_exp, a->cash[0].money_exp,
                    value, false, &home)
               ? home
               : 0;
}

/* In the schedule's currency where there is a rate to it; kinds together or not at all. */
static void in_own_currency(const portfolio_t *p, const instrument_def_t *def, uint64_t ccy, charged_t *c)
{
    int64_t other[FEE_KIND_COUNT] = {0};
    if (ccy == 0 || ccy == def->settle_ccy) {
        return;
    }
    const int64_t place = fx_place(p, def->settle_ccy, ccy);
    for (unsigned kind = 0; kind < FEE_KIND_COUNT; kind++) {
        if (!fx_apply(p, place, def->money_exp, currency_exp(p, ccy), c->amount[kind], true, &other[kind])) {
            return;
        }
    }
    memcpy(c->amount, other, sizeof other);
    c->ccy = ccy;
}

bool portfolio_fee_rate(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id)
{
    if (check_ids(p, account_id, instrument_id) != ERR_OK || account_of(p, account_id)->schedule == 0) {
        return true;
    }
    const instrument_def_t *def  = &slot_of(p, instrument_id)->ins.def;
    const uint64_t          ccy  = p->schedule[account_of(p, account_id)->schedule - 1].tier[0].ccy;
    charged_t               none = {.ccy = def->settle_ccy};
    in_own_currency(p, def, ccy, &none);
    return ccy == 0 || none.ccy == ccy;
}

bool charge_fill(portfolio_t *p, undo_t *u, const portfolio_fill_t *f, charged_t *out)
{
    account_t          *a   = account_of(p, f->account_id);
    const instrument_t *ins = &slot_of(p, f->instrument_id)->ins;
    *out                    = (charged_t){.ccy = ins->def.settle_ccy};
    if (a->schedule == 0) {
        return true;
    }
    out->value = traded(p, a, f);
    fee_window_move(&a->window, FEE_WINDOW_DAYS, f->utc_ns);
    if (!f->fee_unknown) {
        return true;
    }
    const fee_schedule_t *t = tier_of(p, a);
    out->amount[FEE_COMMISSION] =
        fee_of_value(ins, f->px, f->qty, f->liquidity == LIQUIDITY_MAKER ? t->maker : t->taker);
    if (t->min_fee > 0) {
        out->amount[FEE_COMMISSION] = max_i64(out->amount[FEE_COMMISSION], t->min_fee);
    }
    out->amount[FEE_TAX] = fee_of_value(ins, f->px, f->qty, f->side == SIDE_BUY ? t->tax_buy : t->tax_sell);
    for (uint32_t kind = 0; kind < FEE_KIND_COUNT; kind++) { /* the venue was faster with its figure */
        if (fact_find(p, kind, f->account_id, f->instrument_id, f->exec_id_hi, f->exec_id_lo)) {
            out->amount[kind] = 0;
        }
    }
    in_own_currency(p, &ins->def, t->ccy, out);
    return charge(p, u, f->instrument_id, f->strategy_id, out->ccy, out->amount[FEE_COMMISSION]) &&
           charge(p, u, f->instrument_id, f->strategy_id, out->ccy, out->amount[FEE_TAX]);
}

void charge_keep(portfolio_t *p, const portfolio_fill_t *f, const charged_t *c)
{
    account_t *a = account_of(p, f->account_id);
    if (a->schedule != 0) {
        fee_window_add(&a->window, FEE_WINDOW_DAYS, c->value);
    }
    for (uint32_t kind = FEE_COMMISSION; kind < FEE_KIND_COUNT; kind++) {
        if (c->amount[kind] != 0 && (f->exec_id_hi | f->exec_id_lo) != 0) {
            fact_keep(p, &(fact_t){.key_hi        = f->exec_id_hi,
                                   .key_lo        = f->exec_id_lo,
                                   .ccy           = c->ccy,
                                   .amount        = c->amount[kind],
                                   .account_id    = f->account_id,
                                   .instrument_id = f->instrument_id,
                                   .strategy_id   = f->strategy_id,
                                   .kind          = kind,
                                   .state         = FACT_ESTIMATE});
        }
    }
}

static fact_t *standing(const portfolio_t *p, const portfolio_fill_t *f, uint32_t kind)
{
    fact_t *fact = f->exec_id_hi | f->exec_id_lo
                       ? fact_find(p, kind, f->account_id, f->instrument_id, f->exec_id_hi, f->exec_id_lo)
                       : NULL;
    return fact != NULL && fact->state != FACT_UNDONE ? fact : NULL;
}

bool charge_undo(portfolio_t *p, undo_t *u, const portfolio_fill_t *f)
{
    for (uint32_t kind = FEE_COMMISSION; kind < FEE_KIND_COUNT; kind++) {
        const fact_t *fact = standing(p, f, kind);
        if (fact && !charge(p, u, f->instrument_id, fact->strategy_id, fact->ccy, -(i128_t)fact->amount)) {
            return false;
        }
    }
    return true;
}

void charge_forget(portfolio_t *p, const portfolio_fill_t *f)
{
    for (uint32_t kind = FEE_COMMISSION; kind < FEE_KIND_COUNT; kind++) {
        fact_t *fact = standing(p, f, kind);
        if (fact) {
            fact->state = FACT_UNDONE;
        }
    }
}

/* ---- fees beside executions -------------------------------------------------------------------------------------- */
static err_t misc_check(const portfolio_t *p, const misc_fee_t *fee)
{
    char        text[9];
    const err_t err = check_ids(p, fee->account_id, fee->instrument_id);
    if (err != ERR_OK) {
        return err;
    }
    if (fee->kind == FEE_NONE || fee->kind >= FEE_KIND_COUNT || fee->ccy == 0 || fee->money_exp < 0 ||
        fee->money_exp > SCALE_MAX || (fee->exec_id_hi | fee->exec_id_lo) == 0) {
        return err_set(ERR_ARG,
                       "portfolio: fee of account %u: kind %u, currency \"%s\" with %d decimals, limit 1..%d, a name, "
                       "0..%d, and an execution",
                       fee->account_id, fee->kind, ccy_text(fee->ccy, text), fee->money_exp, FEE_KIND_COUNT - 1,
                       SCALE_MAX);
    }
    return ERR_OK;
}

err_t portfolio_misc_fee(portfolio_t *p, const misc_fee_t *fee, bool *fresh)
{
    *fresh    = false;
    err_t err = misc_check(p, fee);
    if (err != ERR_OK) {
        return err;
    }
    fact_t *known = fact_find(p, fee->kind, fee->account_id, fee->instrument_id, fee->exec_id_hi, fee->exec_id_lo);
    if (known != NULL && known->state != FACT_ESTIMATE) {
        return ERR_OK;
    }
    if (currency_exp(p, fee->ccy) < 0) {
        err = currency_learn(p, fee->ccy, fee->money_exp);
        if (err != ERR_OK) {
            return err;
        }
    }
    undo_t  u;
    int64_t received; /* the fee with its sign turned: rounded down, it is against us */
    undo_begin(&u, p, fee->account_id);
    const bool ok =
        fee->amount != INT64_MIN && money_rescale(-fee->amount, fee->money_exp, currency_exp(p, fee->ccy), &received) &&
        (known == NULL || charge(p, &u, fee->instrument_id, known->strategy_id, known->ccy, -(i128_t)known->amount)) &&
        charge(p, &u, fee->instrument_id, fee->strategy_id, fee->ccy, -(i128_t)received) &&
        account_settle(p, account_of(p, fee->account_id));
    if (!ok) {
        undo_all(&u, p);
        return err_set(ERR_RANGE,
                       "portfolio: account %u: fee %lld of instrument %u: a total leaves +-%lld, or no room for its "
                       "currency or position",
                       fee->account_id, (long long)fee->amount, fee->instrument_id, (long long)TOTAL_MAX);
    }
    const fact_t fact = {.key_hi        = fee->exec_id_hi,
                         .key_lo        = fee->exec_id_lo,
                         .ccy           = fee->ccy,
                         .amount        = -received,
                         .account_id    = fee->account_id,
                         .instrument_id = fee->instrument_id,
                         .strategy_id   = fee->strategy_id,
                         .next          = known ? known->next : 0,
                         .kind          = fee->kind,
                         .state         = FACT_BOOKED};
    if (known != NULL) {
        *known = fact;
    } else {
        fact_keep(p, &fact);
    }
    *fresh = true;
    return ERR_OK;
}
