/* Rates between currencies, and figures of several currencies in one. */
#include "core/portfolio/portfolio_private.h"

#define INVERSE_EXP 12 /* digits of the rate that is shown for an inverse */

/* ---- rates ------------------------------------------------------------------------------------------------------- */
static uint32_t rate_find(const portfolio_t *p, uint64_t ccy, uint64_t to_ccy)
{
    for (uint32_t i = 0; i < p->rates; i++) {
        if (p->rate[i].fx.ccy == ccy && p->rate[i].fx.to_ccy == to_ccy) {
            return i + 1;
        }
    }
    return 0;
}

int64_t fx_place(const portfolio_t *p, uint64_t ccy, uint64_t to_ccy)
{
    const uint32_t there = rate_find(p, ccy, to_ccy);
    return there ? there : -(int64_t)rate_find(p, to_ccy, ccy);
}

static bool times_pow10(i128_t *v, int64_t exp)
{
    while (exp > 0) {
        const int64_t step = min_i64(exp, POW10_MAX);
        if (__builtin_mul_overflow(*v, (i128_t)pow10_i64((unsigned)step), v)) {
            return false;
        }
        exp -= step;
    }
    return true;
}

/* amount x 10^to / 10^from x rate, or / rate. Rounding down is done by division; up is down of the negative. */
bool fx_apply(const portfolio_t *p, int64_t place, int64_t from_exp, int64_t to_exp, int64_t amount, bool upwards,
              int64_t *out)
{
    if (place == 0) {
        return false;
    }
    const fx_rate_t *fx = &p->rate[(place > 0 ? place : -place) - 1].fx;
    if (fx->rate == 0 || from_exp < 0 || to_exp < 0) {
        return false;
    }
    const int64_t shift = to_exp - from_exp + (place > 0 ? -fx->rate_exp : fx->rate_exp);
    i128_t        over  = mul_i64(amount, (upwards ? -1 : 1)) * (place > 0 ? fx->rate : 1);
    i128_t        under = place > 0 ? 1 : fx->rate;
    if (!times_pow10(shift > 0 ? &over : &under, shift > 0 ? shift : -shift)) {
        return false;
    }
    const i128_t down = div_floor(over, under);
    return fit_i64(upwards ? -down : down, out);
}

/* Equity in the home currency may be a new peak now. */
static void accounts_settle(portfolio_t *p, bool places)
{
    for (uint32_t id = 1; id <= p->accounts_max; id++) {
        account_t *a = account_of(p, id);
        for (uint32_t i = 1; places && i < a->ccy_count; i++) {
            a->cash[i].place = fx_place(p, a->cash[i].ccy, a->cash[0].ccy);
        }
        if (a->ccy_count > 1) {
            const bool fits = account_settle(p, a);
            assert(fits); /* no figure of a currency moved */
        }
    }
}

static err_t rate_check(const portfolio_t *p, const fx_rate_t *rate)
{
    char a[9], b[9];
    if (rate->ccy == 0 || rate->to_ccy == 0 || rate->ccy == rate->to_ccy) {
        return err_set(ERR_ARG, "portfolio: rate from \"%s\" to \"%s\", limit two currencies", ccy_text(rate->ccy, a),
                       ccy_text(rate->to_ccy, b));
    }
    if (rate->rate < 0 || (rate->rate == 0 && rate->source == 0) || rate->rate_exp < 0 || rate->rate_exp > SCALE_MAX) {
        return err_set(ERR_ARG, "portfolio: rate from %s to %s is %lld with %d decimals, limit above 0 and 0..%d",
                       ccy_text(rate->ccy, a), ccy_text(rate->to_ccy, b), (long long)rate->rate, rate->rate_exp,
                       SCALE_MAX);
    }
    if (rate->rate == 0 && (!instrument_defined(p, rate->source) || slot_of(p, rate->source)->follow != 0)) {
        return err_set(ERR_ARG,
                       "portfolio: rate from %s to %s follows instrument %u, limit one that is defined and no "
                       "other rate follows",
                       ccy_text(rate->ccy, a), ccy_text(rate->to_ccy, b), rate->source);
    }
    return ERR_OK;
}

err_t portfolio_rate(portfolio_t *p, const fx_rate_t *rate)
{
    char           a[9], b[9];
    const uint32_t known = rate_find(p, rate->ccy, rate->to_ccy);
    const rate_t  *is    = known ? &p->rate[known - 1] : NULL;
    if (is != NULL && is->follows && rate->rate == 0 && is->fx.source == rate->source) {
        return ERR_OK; /* it does so already */
    }
    const err_t err = rate_check(p, rate);
    if (err != ERR_OK) {
        return err;
    }
    if (is != NULL && is->follows) {
        return err_set(ERR_STATE, "portfolio: the rate from %s to %s follows instrument %u", ccy_text(rate->ccy, a),
                       ccy_text(rate->to_ccy, b), is->fx.source);
    }
    if (!known && p->rates == PORTFOLIO_RATES_MAX) {
        return err_set(ERR_LIMIT, "portfolio: the rate from %s to %s is one more than %u", ccy_text(rate->ccy, a),
                       ccy_text(rate->to_ccy, b), PORTFOLIO_RATES_MAX);
    }
    rate_t *to = &p->rate[known ? known - 1 : p->rates++];
    if (rate->rate == 0) { /* what is known stays until its first mark */
        to->follows                      = 1;
        to->fx.ccy                       = rate->ccy;
        to->fx.to_ccy                    = rate->to_ccy;
        to->fx.source                    = rate->source;
        slot_of(p, rate->source)->follow = (uint32_t)(to - p->rate) + 1;
    } else if (rate->ts_event_ns >= to->fx.ts_event_ns) {
        to->fx = *rate;
    }
    accounts_settle(p, !known);
    return ERR_OK;
}

bool portfolio_rate_follows(const portfolio_t *p, uint32_t instrument_id)
{
    return instrument_defined(p, instrument_id) && slot_of(p, instrument_id)->follow != 0;
}

bool portfolio_follow(portfolio_t *p, uint32_t instrument_id, int64_t utc_ns, fx_rate_t *out)
{
    const slot_t *slot = slot_of(p, instrument_id);
    assert(slot->follow != 0);
    fx_rate_t    *fx  = &p->rate[slot->follow - 1].fx;
    const int64_t mid = (int64_t)div_floor((i128_t)slot->bid_px + slot->ask_px, 2);
    if (!slot->marked || mid <= 0) { /* no rate at all: the last one stays */
        return false;
    }
    fx->rate        = mid;
    fx->rate_exp    = slot->ins.def.px_exp;
    fx->ts_event_ns = utc_ns;
    fx->ts_recv_ns  = utc_ns;
    accounts_settle(p, false);
    *out = *fx;
    return true;
}

bool portfolio_rate_find(const portfolio_t *p, uint64_t ccy, uint64_t to_ccy, fx_rate_t *out)
{
    const int64_t place = fx_place(p, ccy, to_ccy);
    if (place == 0 || p->rate[(place > 0 ? place : -place) - 1].fx.rate == 0) {
        return false;
    }
    fx_rate_t fx = p->rate[(place > 0 ? place : -place) - 1].fx;
    if (place < 0) {
        if (!fx_apply(p, place, 0, INVERSE_EXP, 1, false, &fx.rate)) {
            return false;
        }
        fx.rate_exp = INVERSE_EXP;
        fx.ccy      = ccy;
        fx.to_ccy   = to_ccy;
    }
    *out = fx;
    return true;
}

/* ---- several currencies in one ----------------------------------------------------------------------------------- */
typedef struct conversion {
    const portfolio_t *p; /* NULL: the currency is the same */
    int64_t            place, from_exp, to_exp;
} conversion_t;

/* What does not fit is 0: the terms of equity make it up all the same, whatever they are. */
static int64_t converted(const conversion_t *c, int64_t amount, bool upwards)
{
    int64_t out = 0;
    if (c->p == NULL) {
        return amount;
    }
    return fx_apply(c->p, c->place, c->from_exp, c->to_exp, amount, upwards, &out) && within(out, HOME_MAX) ? out : 0;
}

static bool equity_converted(const conversion_t *c, int64_t equity, int64_t *out)
{
    if (c->p == NULL) {
        *out = equity;
        return true;
    }
    return fx_apply(c->p, c->place, c->from_exp, c->to_exp, equity, false, out) && within(*out, HOME_MAX);
}

/* No tenant comes near the end of an int64; one that does stays there. */
static void plus(int64_t *sum, int64_t v)
{
    if (__builtin_add_overflow(*sum, v, sum)) {
        *sum = v > 0 ? INT64_MAX : INT64_MIN;
    }
}

static bool all_zero(const portfolio_account_t *f)
{
    return (f->initial | f->cash | f->settled | f->hold | f->realised | f->unrealised | f->fees | f->funding |
            f->realised_day | f->fees_day | f->pnl_day) == 0;
}

/* sum += one, converted: the terms of equity as steps of its running sum, so that they make up equity exactly. */
static void figures_add(portfolio_account_t *sum, const portfolio_account_t *one, const conversion_t *c)
{
    int64_t equity;
    if (all_zero(one)) {
        return;
    }
    if (!equity_converted(c, one->equity, &equity)) {
        sum->missing++;
        return;
    }
    const int64_t initial  = converted(c, one->initial, false);
    const int64_t realised = converted(c, one->initial + one->realised, false);
    const int64_t marked   = converted(c, one->initial + one->realised + one->unrealised, false);
    const int64_t paid     = converted(c, one->initial + one->realised + one->unrealised - one->fees, false);
    plus(&sum->initial, initial);
    plus(&sum->realised, realised - initial);
    plus(&sum->unrealised, marked - realised);
    plus(&sum->fees, marked - paid);
    plus(&sum->funding, equity - paid);
    plus(&sum->equity, equity);
    plus(&sum->cash, converted(c, one->cash, false));
    plus(&sum->settled, converted(c, one->settled, false));
    plus(&sum->hold, converted(c, one->hold, true));
    plus(&sum->realised_day, converted(c, one->realised_day, false));
    plus(&sum->fees_day, converted(c, one->fees_day, true));
    plus(&sum->pnl_day, converted(c, one->pnl_day, false));
}

int64_t fx_home_equity(const portfolio_t *p, const account_t *a)
{
    int64_t equity = cash_equity(&a->cash[0]);
    for (uint32_t i = 1; i < a->ccy_count; i++) {
        const cash_t      *c  = &a->cash[i];
        const conversion_t to = {p, c->place, c->money_exp, a->cash[0].money_exp};
        int64_t            one;
        if (equity_converted(&to, cash_equity(c), &one)) {
            equity += one;
        }
    }
    return equity;
}

void fx_home(const portfolio_t *p, const account_t *a, portfolio_account_t *out)
{
    cash_figures(&a->cash[0], out);
    for (uint32_t i = 1; i < a->ccy_count; i++) {
        const cash_t       *c  = &a->cash[i];
        const conversion_t  to = {p, c->place, c->money_exp, a->cash[0].money_exp};
        portfolio_account_t one;
        cash_figures(c, &one);
        figures_add(out, &one, &to);
    }
    out->drawdown = a->peak - out->equity;
}

void portfolio_tenant(const portfolio_t *p, uint64_t ccy, portfolio_account_t *out)
{
    *out = (portfolio_account_t){.ccy = ccy, .money_exp = (int32_t)currency_exp(p, ccy)};
    for (uint32_t id = 1; id <= p->accounts_max; id++) {
        const account_t *a = account_of(p, id);
        if (a->ccy_count > 0) {
            const conversion_t  to = {a->cash[0].ccy == ccy ? NULL : p, fx_place(p, a->cash[0].ccy, ccy),
                                     a->cash[0].money_exp, out->money_exp};
            portfolio_account_t one;
            fx_home(p, a, &one);
            figures_add(out, &one, &to);
            out->missing += one.missing;
        }
    }
}
