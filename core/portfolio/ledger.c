/* The cash side: currencies of an account, movements without a fill, holds; and what was told once already. */
#include "core/portfolio/portfolio_private.h"

/* ---- currencies of an account ------------------------------------------------------------------------------------ */
uint32_t cash_find(const account_t *a, uint64_t ccy)
{
    uint32_t i = 0;
    while (i < a->ccy_count && a->cash[i].ccy != ccy) {
        i++;
    }
    return i;
}

uint32_t cash_open(portfolio_t *p, account_t *a, uint64_t ccy)
{
    const uint32_t i = cash_find(a, ccy);
    if (i < a->ccy_count || i == PORTFOLIO_CCYS_MAX) {
        return i;
    }
    a->cash[i] =
        (cash_t){.ccy = ccy, .money_exp = currency_exp(p, ccy), .place = i == 0 ? 0 : fx_place(p, ccy, a->cash[0].ccy)};
    a->ccy_count++;
    return i;
}

err_t portfolio_account_open(portfolio_t *p, uint32_t account_id, uint64_t ccy, int64_t initial)
{
    char text[9];
    if (account_id < 1 || account_id > p->accounts_max) {
        return err_set(ERR_ARG, "portfolio: account %u, limit 1..%u", account_id, p->accounts_max);
    }
    if (ccy == 0 || initial > TOTAL_MAX || initial < -TOTAL_MAX) {
        return err_set(ERR_ARG, "portfolio: account %u: currency \"%s\" with %lld, limit a name and +-%lld", account_id,
                       ccy_text(ccy, text), (long long)initial, (long long)TOTAL_MAX);
    }
    account_t *a = account_of(p, account_id);
    if (cash_find(a, ccy) < a->ccy_count) {
        return err_set(ERR_EXISTS, "portfolio: account %u has %s already", account_id, ccy_text(ccy, text));
    }
    const uint32_t i = cash_open(p, a, ccy);
    if (i == PORTFOLIO_CCYS_MAX) {
        return err_set(ERR_LIMIT, "portfolio: account %u: %s is one currency more than %u", account_id,
                       ccy_text(ccy, text), PORTFOLIO_CCYS_MAX);
    }
    a->cash[i].balance = a->cash[i].initial = a->cash[i].peak = initial;
    a->peak = i == 0 ? initial : max_i64(a->peak, fx_home_equity(p, a));
    return ERR_OK;
}

static err_t account_same(const portfolio_t *p, const account_def_t *def)
{
    const account_t *a = account_of(p, def->account_id);
    return a->cash[0].ccy == def->ccy && a->initial == def->initial && a->flags == def->flags &&
                   a->schedule == def->fee_schedule && a->cash[0].money_exp == def->money_exp
               ? ERR_OK
               : err_set(ERR_EXISTS,
                         "portfolio: account %u exists, with another currency, scale, initial money, kind or schedule",
                         def->account_id);
}

err_t portfolio_account_define(portfolio_t *p, const account_def_t *def)
{
    if (account_open(p, def->account_id)) {
        return account_same(p, def);
    }
    if ((def->flags & ~(ACCOUNT_HEDGING | ACCOUNT_FIFO | ACCOUNT_MARGIN)) != 0) {
        return err_set(ERR_ARG, "portfolio: account %u: flags %#x, limit %#x", def->account_id, def->flags,
                       (unsigned)(ACCOUNT_HEDGING | ACCOUNT_FIFO | ACCOUNT_MARGIN));
    }
    if ((def->flags & ACCOUNT_FIFO) && p->lots_max == 0) {
        return err_set(ERR_LIMIT, "portfolio: account %u is first in, first out, and there is no room for lots",
                       def->account_id);
    }
    if (def->fee_schedule != 0 &&
        (def->fee_schedule > PORTFOLIO_SCHEDULES_MAX || p->schedule[def->fee_schedule - 1].tiers == 0 ||
         p->schedule[def->fee_schedule - 1].got != p->schedule[def->fee_schedule - 1].tiers)) {
        return err_set(ERR_NOT_FOUND, "portfolio: account %u: fee schedule %u has not been told, or not all its tiers",
                       def->account_id, def->fee_schedule);
    }
    err_t err = ERR_OK;
    if (def->account_id >= 1 && def->account_id <= p->accounts_max && def->ccy != 0 && def->initial <= TOTAL_MAX &&
        def->initial >= -TOTAL_MAX) { /* else the call below refuses it */
        err = currency_learn(p, def->ccy, def->money_exp);
    }
    if (err == ERR_OK) {
        err = portfolio_account_open(p, def->account_id, def->ccy, def->initial);
    }
    if (err == ERR_OK) {
        account_t *a = account_of(p, def->account_id);
        a->flags     = def->flags;
        a->schedule  = def->fee_schedule;
        a->initial   = def->initial;
        fee_window_begin(&a->window);
    }
    return err;
}

/* ---- the ledger -------------------------------------------------------------------------------------------------- */
bool ledger_pay(cash_t *c, i128_t received)
{
    return total_add(&c->balance, received);
}

/* Nano money comes in with what was withheld before; whole money reaches the balance, the rest is withheld again. */
bool ledger_fill(cash_t *c, int64_t *carry_nano, i128_t flow_nano)
{
    const i128_t due   = flow_nano + *carry_nano;
    const i128_t money = div_floor(due, NANO);
    *carry_nano        = (int64_t)(due - money * NANO);
    return ledger_pay(c, money);
}

bool account_settle(const portfolio_t *p, account_t *a)
{
    bool fits = true;
    for (uint32_t i = 0; i < a->ccy_count; i++) { /* within 2^62 a drawdown fits */
        cash_t       *c      = &a->cash[i];
        const int64_t equity = cash_equity(c);
        c->peak              = max_i64(c->peak, equity);
        fits &= within(equity, EQUITY_MAX);
    }
    if (fits) {
        a->peak = max_i64(a->peak, fx_home_equity(p, a));
    }
    return fits;
}

bool money_rescale(int64_t amount, int64_t from_exp, int64_t to_exp, int64_t *out)
{
    return to_exp >= from_exp ? fit_i64(mul_i64(amount, pow10_i64((unsigned)(to_exp - from_exp))), out)
                              : fit_i64(div_floor(amount, pow10_i64((unsigned)(from_exp - to_exp))), out);
}

err_t portfolio_day_start(portfolio_t *p, uint32_t account_id)
{
    if (!account_open(p, account_id)) {
        return err_set(ERR_NOT_FOUND, "portfolio: account %u is not open (accounts_max %u)", account_id,
                       p->accounts_max);
    }
    account_t *a = account_of(p, account_id);
    for (uint32_t i = 0; i < a->ccy_count; i++) {
        a->cash[i].realised_base = a->cash[i].realised;
        a->cash[i].fees_base     = a->cash[i].fees;
        a->cash[i].peak          = cash_equity(&a->cash[i]);
    }
    a->peak = fx_home_equity(p, a);
    return ERR_OK;
}

/* ---- facts ------------------------------------------------------------------------------------------------------- */
static fact_t *fact_at(const portfolio_t *p, uint32_t place)
{
    return (fact_t *)portfolio_at(p, p->facts_off) + (place - 1);
}

static uint32_t *bucket_of(const portfolio_t *p, uint64_t key_hi, uint64_t key_lo)
{
    return (uint32_t *)portfolio_at(p, p->buckets_off) + (hash_u64(hash_u64(0, key_hi), key_lo) & (p->buckets - 1));
}

fact_t *fact_find(const portfolio_t *p, uint32_t kind, uint32_t account_id, uint32_t instrument_id, uint64_t key_hi,
                  uint64_t key_lo)
{
    for (uint32_t place = *bucket_of(p, key_hi, key_lo); place != 0; place = fact_at(p, place)->next) {
        fact_t *f = fact_at(p, place);
        if (f->key_hi == key_hi && f->key_lo == key_lo && f->kind == kind && f->account_id == account_id &&
            f->instrument_id == instrument_id) {
            return f;
        }
    }
    return NULL;
}

void fact_keep(portfolio_t *p, const fact_t *fact)
{
    const uint32_t place = (uint32_t)(p->facts % p->facts_max) + 1;
    fact_t        *f     = fact_at(p, place);
    if (p->facts >= p->facts_max) { /* the oldest one leaves its bucket */
        uint32_t *link = bucket_of(p, f->key_hi, f->key_lo);
        while (*link != place) {
            link = &fact_at(p, *link)->next;
        }
        *link = f->next;
    }
    uint32_t *bucket = bucket_of(p, fact->key_hi, fact->key_lo);
    *f               = *fact;
    f->next          = *bucket;
    *bucket          = place;
    p->facts++;
}

/* ---- movements --------------------------------------------------------------------------------------------------- */
static err_t move_check(const portfolio_t *p, const cash_move_t *m)
{
    char text[9];
    if (!account_open(p, m->account_id)) {
        return err_set(ERR_NOT_FOUND, "portfolio: account %u is not open (accounts_max %u)", m->account_id,
                       p->accounts_max);
    }
    if (m->kind == CASH_NONE || m->kind >= CASH_KIND_COUNT || m->ccy == 0 || m->money_exp < 0 ||
        m->money_exp > SCALE_MAX || (m->ref_hi | m->ref_lo) == 0) {
        return err_set(ERR_ARG,
                       "portfolio: movement of account %u: kind %u, currency \"%s\" with %d decimals, limit 1..%d, a "
                       "name, 0..%d, and a ref",
                       m->account_id, m->kind, ccy_text(m->ccy, text), m->money_exp, CASH_KIND_COUNT - 1, SCALE_MAX);
    }
    if (m->instrument_id != 0) {
        if (!instrument_defined(p, m->instrument_id)) {
            return err_set(ERR_NOT_FOUND, "portfolio: movement of account %u: instrument %u is not defined",
                           m->account_id, m->instrument_id);
        }
        if (m->kind != CASH_FUNDING || slot_of(p, m->instrument_id)->ins.def.settle_ccy != m->ccy) {
            return err_set(ERR_ARG,
                           "portfolio: movement of account %u: kind %u in %s for instrument %u, limit funding in "
                           "its currency",
                           m->account_id, m->kind, ccy_text(m->ccy, text), m->instrument_id);
        }
    }
    return ERR_OK;
}

/* A scale that is new is taken from whoever tells it first. */
static err_t amount_of(portfolio_t *p, uint64_t ccy, int64_t exp, int64_t amount, int64_t *out)
{
    if (currency_exp(p, ccy) < 0) {
        const err_t err = currency_learn(p, ccy, exp);
        if (err != ERR_OK) {
            return err;
        }
    }
    char text[9];
    return money_rescale(amount, exp, currency_exp(p, ccy), out)
               ? ERR_OK
               : err_set(ERR_RANGE, "portfolio: %lld with %lld decimals of %s does not fit", (long long)amount,
                         (long long)exp, ccy_text(ccy, text));
}

/* What is brought or taken away is neither profit nor loss: the peaks move along. */
static void peaks_move(const portfolio_t *p, const account_t *before, account_t *a, uint32_t i, int64_t amount)
{
    a->peak = before->peak + (fx_home_equity(p, a) - fx_home_equity(p, before));
    a->cash[i].peak += amount; /* within 2^62 and 2^60 */
}

err_t portfolio_cash_move(portfolio_t *p, const cash_move_t *m, bool *fresh)
{
    *fresh    = false;
    err_t err = move_check(p, m);
    if (err != ERR_OK) {
        return err;
    }
    if (fact_find(p, FACT_CASH, m->account_id, 0, m->ref_hi, m->ref_lo)) {
        return ERR_OK;
    }
    int64_t amount = 0;
    err            = amount_of(p, m->ccy, m->money_exp, m->amount, &amount);
    if (err == ERR_OK && m->instrument_id != 0) {
        err = portfolio_funding(p, m->account_id, m->instrument_id, amount);
    } else if (err == ERR_OK) {
        account_t      *a     = account_of(p, m->account_id);
        const account_t saved = *a;
        const uint32_t  i     = cash_open(p, a, m->ccy);
        char            text[9];
        if (i == PORTFOLIO_CCYS_MAX) {
            return err_set(ERR_LIMIT, "portfolio: account %u: %s is one currency more than %u", m->account_id,
                           ccy_text(m->ccy, text), PORTFOLIO_CCYS_MAX);
        }
        const bool earned = m->kind == CASH_FUNDING || m->kind == CASH_INTEREST;
        cash_t    *c      = &a->cash[i];
        bool       fits   = ledger_pay(c, amount) && total_add(earned ? &c->funding : &c->initial, amount);
        if (fits && !earned) {
            peaks_move(p, &saved, a, i, amount);
        }
        if (!fits || !account_settle(p, a)) {
            *a = saved;
            return err_set(ERR_RANGE, "portfolio: account %u: movement of %lld: a total leaves +-%lld", m->account_id,
                           (long long)amount, (long long)TOTAL_MAX);
        }
    }
    if (err == ERR_OK) {
        *fresh = true;
        fact_keep(p, &(fact_t){.key_hi     = m->ref_hi,
                               .key_lo     = m->ref_lo,
                               .ccy        = m->ccy,
                               .amount     = amount,
                               .account_id = m->account_id,
                               .kind       = FACT_CASH,
                               .state      = FACT_BOOKED});
    }
    return err;
}

/* ---- holds ------------------------------------------------------------------------------------------------------- */
void portfolio_hold(portfolio_t *p, uint32_t account_id, uint32_t instrument_id, side_t side, int64_t px, int64_t qty,
                    bool take)
{
    if (!account_open(p, account_id) || !instrument_defined(p, instrument_id)) {
        return;
    }
    const slot_t  *slot = slot_of(p, instrument_id);
    account_t     *a    = account_of(p, account_id);
    const uint32_t i    = cash_open(p, a, slot->ins.def.settle_ccy);
    const bool     spot = slot->ins.def.kind == INSTRUMENT_SPOT;
    i128_t         flow;
    if (!spot && a->schedule == 0) { /* neither price nor fee is paid out of cash */
        return;
    }
    if (i == PORTFOLIO_CCYS_MAX || qty <= 0 || !px_bookable(slot, px) ||
        !instrument_money(&slot->ins, px, side == SIDE_BUY ? -qty : qty, &flow)) {
        return;
    }
    const i128_t most = (spot ? -flow : 0) + charge_most(p, a, &slot->ins, side, px, qty);
    if (most > 0) {
        a->cash[i].hold += take ? most : -most;
    }
}
