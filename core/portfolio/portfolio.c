/* Memory, what there is to trade and in which currencies, reading, hash. */
#include "core/portfolio/portfolio_private.h"

#define PORTFOLIO_MAGIC 0x326f696c6f667470ULL
#define PORTFOLIO_ALIGN 64u
#define ACCOUNTS_LIMIT 4096u
#define INSTRUMENTS_LIMIT 65536u
#define PAIRS_LIMIT (1u << 22)
#define FACTS_DEFAULT 1024u

/* ---- memory ------------------------------------------------------------------------------------------------------ */
static uint64_t align_up(uint64_t bytes)
{
    return (bytes + PORTFOLIO_ALIGN - 1) & ~(uint64_t)(PORTFOLIO_ALIGN - 1);
}

static uint64_t reserve(uint64_t *end, uint64_t bytes)
{
    const uint64_t off = *end;
    *end               = align_up(off + bytes);
    return off;
}

static void layout(const portfolio_cfg_t *cfg, portfolio_t *p)
{
    const uint32_t pairs = cfg->accounts_max * cfg->instruments_max;
    memset(p, 0, sizeof *p);
    p->magic           = PORTFOLIO_MAGIC;
    p->accounts_max    = cfg->accounts_max;
    p->instruments_max = cfg->instruments_max;
    p->rows_max        = cfg->rows_max ? cfg->rows_max : pairs;
    p->lots_max        = cfg->lots_max;
    p->facts_max       = cfg->facts_max ? cfg->facts_max : FACTS_DEFAULT;
    p->buckets         = 1;
    while (p->buckets < p->facts_max) {
        p->buckets *= 2;
    }
    uint64_t end    = align_up(sizeof *p);
    p->slots_off    = reserve(&end, sizeof(slot_t) * p->instruments_max);
    p->accounts_off = reserve(&end, sizeof(account_t) * p->accounts_max);
    p->index_off    = reserve(&end, sizeof(uint32_t) * (uint64_t)pairs);
    p->rows_off     = reserve(&end, sizeof(row_t) * (uint64_t)p->rows_max);
    p->lots_off     = reserve(&end, sizeof(lot_t) * (uint64_t)p->lots_max);
    p->facts_off    = reserve(&end, sizeof(fact_t) * (uint64_t)p->facts_max);
    p->buckets_off  = reserve(&end, sizeof(uint32_t) * (uint64_t)p->buckets);
    p->end_off      = end;
}

size_t portfolio_align(void)
{
    return PORTFOLIO_ALIGN;
}

static bool cfg_check(const portfolio_cfg_t *cfg)
{
    const struct {
        const char *name;
        uint32_t    value, low, high;
    } limits[] = {{"accounts_max", cfg->accounts_max, 1, ACCOUNTS_LIMIT},
                  {"instruments_max", cfg->instruments_max, 1, INSTRUMENTS_LIMIT},
                  {"accounts_max x instruments_max", cfg->accounts_max * cfg->instruments_max, 1, PAIRS_LIMIT},
                  {"rows_max", cfg->rows_max, 0, PORTFOLIO_POOL_MAX},
                  {"lots_max", cfg->lots_max, 0, PORTFOLIO_POOL_MAX},
                  {"facts_max", cfg->facts_max, 0, PORTFOLIO_POOL_MAX}};
    for (unsigned i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i].value < limits[i].low || limits[i].value > limits[i].high) {
            err_set(ERR_ARG, "portfolio: %s is %u, limit %u..%u", limits[i].name, limits[i].value, limits[i].low,
                    limits[i].high);
            return false;
        }
    }
    return true;
}

size_t portfolio_footprint(const portfolio_cfg_t *cfg)
{
    portfolio_t head;
    if (!cfg_check(cfg)) {
        return 0;
    }
    layout(cfg, &head);
    return head.end_off;
}

void *portfolio_new(void *mem, const portfolio_cfg_t *cfg)
{
    const size_t bytes = portfolio_footprint(cfg);
    if (bytes == 0) {
        return NULL;
    }
    if (mem == NULL || (uintptr_t)mem % PORTFOLIO_ALIGN != 0) {
        err_set(ERR_ARG, "portfolio: memory at %p, limit a multiple of %u", mem, PORTFOLIO_ALIGN);
        return NULL;
    }
    memset(mem, 0, bytes);
    layout(cfg, mem);
    return mem;
}

portfolio_t *portfolio_join(void *mem)
{
    portfolio_t *p = mem;
    if (mem == NULL || (uintptr_t)mem % PORTFOLIO_ALIGN != 0 || p->magic != PORTFOLIO_MAGIC) {
        err_set(ERR_ARG, "portfolio: no portfolio at %p", mem);
        return NULL;
    }
    return p;
}

/* ---- currencies and instruments ---------------------------------------------------------------------------------- */
int64_t currency_exp(const portfolio_t *p, uint64_t ccy)
{
    for (uint32_t i = 0; i < p->currencies; i++) {
        if (p->currency[i].ccy == ccy) {
            return p->currency[i].money_exp;
        }
    }
    return -1;
}

err_t currency_learn(portfolio_t *p, uint64_t ccy, int64_t money_exp)
{
    char          text[9];
    const int64_t known = currency_exp(p, ccy);
    if (known >= 0 && known == money_exp) {
        return ERR_OK;
    }
    if (known >= 0 || money_exp < 0 || money_exp > SCALE_MAX) {
        return err_set(ERR_ARG, "portfolio: money_exp of %s is %lld, limit %lld as it is known", ccy_text(ccy, text),
                       (long long)money_exp, (long long)(known >= 0 ? known : SCALE_MAX));
    }
    if (p->currencies == CURRENCIES_MAX) {
        return err_set(ERR_LIMIT, "portfolio: %s is one currency more than %u", ccy_text(ccy, text), CURRENCIES_MAX);
    }
    p->currency[p->currencies++] = (currency_t){.ccy = ccy, .money_exp = money_exp};
    for (uint32_t id = 1; id <= p->accounts_max; id++) {
        account_t     *a = account_of(p, id);
        const uint32_t i = cash_find(a, ccy);
        if (i < a->ccy_count) {
            a->cash[i].money_exp = money_exp;
        }
    }
    return ERR_OK;
}

static bool same_economics(const instrument_def_t *a, const instrument_def_t *b)
{
    return a->kind == b->kind && a->settle_ccy == b->settle_ccy && a->px_exp == b->px_exp && a->qty_exp == b->qty_exp &&
           a->money_exp == b->money_exp && a->mult_exp == b->mult_exp && a->mult == b->mult;
}

err_t portfolio_define(portfolio_t *p, const instrument_t *ins)
{
    const instrument_def_t *def = &ins->def;
    if (def->instrument_id < 1 || def->instrument_id > p->instruments_max) {
        return err_set(ERR_ARG, "portfolio: instrument %u, limit 1..%u", def->instrument_id, p->instruments_max);
    }
    slot_t *slot = slot_of(p, def->instrument_id);
    for (uint32_t id = 1; id <= p->accounts_max; id++) {
        if (*index_of(p, id, def->instrument_id) != 0 && !same_economics(&slot->ins.def, def)) {
            return err_set(ERR_STATE,
                           "portfolio: instrument %u: kind, currency, scale or multiplier changed, and "
                           "account %u has booked in it",
                           def->instrument_id, id);
        }
    }
    const err_t err = currency_learn(p, def->settle_ccy, def->money_exp);
    if (err == ERR_OK) {
        slot->ins = *ins;
    }
    return err;
}

err_t check_ids(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id)
{
    if (!account_open(p, account_id)) {
        return err_set(ERR_NOT_FOUND, "portfolio: account %u is not open (accounts_max %u)", account_id,
                       p->accounts_max);
    }
    if (!instrument_defined(p, instrument_id)) {
        return err_set(ERR_NOT_FOUND, "portfolio: instrument %u is not defined (instruments_max %u)", instrument_id,
                       p->instruments_max);
    }
    return ERR_OK;
}

/* ---- reading: positions ------------------------------------------------------------------------------------------ */
static uint32_t chain_of(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id)
{
    return account_open(p, account_id) && instrument_defined(p, instrument_id) ? *index_of(p, account_id, instrument_id)
                                                                               : 0;
}

bool portfolio_position(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id, position_t *out)
{
    uint32_t place = chain_of(p, account_id, instrument_id);
    if (place == 0) {
        return false;
    }
    const slot_t *slot = slot_of(p, instrument_id);
    *out               = (position_t){.account_id = account_id, .instrument_id = instrument_id};
    for (; place != 0; place = row_at(p, place)->next) {
        const row_t *r = row_at(p, place);
        if (r->strategy_id == 0) {
            out->qty += r->qty; /* of two sides one is long and one is short: sums of money are within 2^61 */
            out->cost += r->cost;
            out->realised += r->realised;
            out->unrealised += r->unrealised;
            out->fees += r->fees;
            out->funding += r->funding;
        }
    }
    out->mark_px = out->qty >= 0 ? slot->bid_px : slot->ask_px;
    return true;
}

/* A strategy's position is worth what the account's is marked at: of a side its own price, else that of the
 * account's. */
static int64_t mark_of(const portfolio_t *p, const row_t *r)
{
    const slot_t *slot = slot_of(p, r->instrument_id);
    const row_t  *of   = row_at(p, *index_of(p, r->account_id, r->instrument_id));
    return r->side == SIDE_SELL || (r->side == SIDE_NONE && of->qty < 0) ? slot->ask_px : slot->bid_px;
}

uint32_t portfolio_rows(const portfolio_t *p)
{
    return p->rows;
}

bool portfolio_sub_position(const portfolio_t *p, uint32_t row, sub_position_t *out)
{
    if (row >= p->rows) {
        return false;
    }
    const row_t *r = row_at(p, row + 1);
    if (r->strategy_id == 0 && r->side == SIDE_NONE) {
        return false;
    }
    *out = (sub_position_t){.qty           = r->qty,
                            .cost          = r->cost,
                            .realised      = r->realised,
                            .unrealised    = r->unrealised,
                            .fees          = r->fees,
                            .funding       = r->funding,
                            .mark_px       = mark_of(p, r),
                            .account_id    = r->account_id,
                            .strategy_id   = r->strategy_id,
                            .instrument_id = r->instrument_id,
                            .side          = (uint8_t)r->side};
    if (r->strategy_id != 0 &&
        !row_unrealised(slot_of(p, r->instrument_id), r->qty, r->cost, out->mark_px, &out->unrealised)) {
        out->unrealised = r->qty > 0 ? INT64_MAX : INT64_MIN; /* more than can be told */
    }
    return true;
}

/* ---- reading: accounts ------------------------------------------------------------------------------------------- */
static int64_t cash_settled(const cash_t *c)
{
    const i128_t settled = c->balance + c->open_cost;
    return settled > INT64_MAX ? INT64_MAX : settled < -INT64_MAX ? -INT64_MAX : (int64_t)settled;
}

void cash_figures(const cash_t *c, portfolio_account_t *out)
{
    int64_t hold = INT64_MAX;
    (void)fit_i64(c->hold, &hold);
    *out          = (portfolio_account_t){.ccy          = c->ccy,
                                          .money_exp    = (int32_t)c->money_exp,
                                          .initial      = c->initial,
                                          .cash         = c->balance,
                                          .settled      = cash_settled(c),
                                          .hold         = hold,
                                          .realised     = c->realised,
                                          .unrealised   = c->unrealised,
                                          .fees         = c->fees,
                                          .funding      = c->funding,
                                          .equity       = cash_equity(c),
                                          .realised_day = c->realised - c->realised_base,
                                          .fees_day     = c->fees - c->fees_base};
    out->pnl_day  = out->realised_day + c->unrealised - c->haircut - out->fees_day;
    out->drawdown = c->peak - out->equity;
}

bool portfolio_on_margin(const portfolio_t *p, uint32_t account_id)
{
    return account_open(p, account_id) && (account_of(p, account_id)->flags & ACCOUNT_MARGIN) != 0;
}

bool portfolio_account(const portfolio_t *p, uint32_t account_id, uint32_t index, portfolio_account_t *out)
{
    if (!account_open(p, account_id)) {
        return false;
    }
    const account_t *a = account_of(p, account_id);
    if (index == PORTFOLIO_HOME) {
        fx_home(p, a, out);
        return true;
    }
    if (index >= a->ccy_count) {
        return false;
    }
    fx_rate_t fx;
    cash_figures(&a->cash[index], out);
    if (index == 0) {
        out->fx_rate = 1;
    } else if (portfolio_rate_find(p, a->cash[index].ccy, a->cash[0].ccy, &fx)) {
        out->fx_rate   = fx.rate;
        out->fx_exp    = fx.rate_exp;
        out->fx_utc_ns = fx.ts_event_ns;
    }
    return true;
}

bool portfolio_worth(const portfolio_t *p, uint32_t account_id, portfolio_worth_t *out)
{
    if (!account_open(p, account_id)) {
        return false;
    }
    const account_t    *a    = account_of(p, account_id);
    const cash_t       *home = &a->cash[0];
    portfolio_account_t sum;
    if (a->ccy_count == 1) {
        const int64_t realised = home->realised - home->realised_base;
        *out =
            (portfolio_worth_t){.equity  = cash_equity(home),
                                .pnl_day = realised + home->unrealised - home->haircut - (home->fees - home->fees_base),
                                .realised_day = realised,
                                .settled      = cash_settled(home)};
    } else {
        fx_home(p, a, &sum);
        *out = (portfolio_worth_t){.equity       = sum.equity,
                                   .pnl_day      = sum.pnl_day,
                                   .realised_day = sum.realised_day,
                                   .settled      = cash_settled(home),
                                   .missing      = sum.missing};
    }
    return true;
}

/* Cash and every position of the account in that currency, valued anew. What was booked and marked has a value. */
static int64_t cash_side(const portfolio_t *p, uint32_t account_id, const cash_t *c)
{
    i128_t  equity = c->balance;
    int64_t money  = 0;
    for (uint32_t place = 1; place <= p->rows; place++) {
        const row_t  *r     = row_at(p, place);
        const slot_t *slot  = slot_of(p, r->instrument_id);
        i128_t        value = 0;
        if (r->account_id != account_id || r->strategy_id != 0 || r->qty == 0 || slot->ins.def.settle_ccy != c->ccy) {
            continue;
        }
        const bool fits = instrument_value_nano(&slot->ins, r->qty > 0 ? slot->bid_px : slot->ask_px, r->qty, &value);
        assert(fits);
        equity += div_floor(value, NANO);
    }
    const bool fits = fit_i64(equity, &money);
    assert(fits);
    return money;
}

bool portfolio_equity_cash_side(const portfolio_t *p, uint32_t account_id, uint32_t index, int64_t *out)
{
    if (!account_open(p, account_id)) {
        return false;
    }
    const account_t *a = account_of(p, account_id);
    if (index != PORTFOLIO_HOME) {
        if (index >= a->ccy_count) {
            return false;
        }
        *out = cash_side(p, account_id, &a->cash[index]);
        return true;
    }
    int64_t sum = cash_side(p, account_id, &a->cash[0]), home;
    for (uint32_t i = 1; i < a->ccy_count; i++) {
        const cash_t *c = &a->cash[i];
        if (fx_apply(p, fx_place(p, c->ccy, a->cash[0].ccy), c->money_exp, a->cash[0].money_exp,
                     cash_side(p, account_id, c), false, &home) &&
            within(home, HOME_MAX)) {
            sum += home;
        }
    }
    *out = sum;
    return true;
}

bool portfolio_equity_pnl_side(const portfolio_t *p, uint32_t account_id, uint32_t index, int64_t *out)
{
    portfolio_account_t a;
    if (!portfolio_account(p, account_id, index, &a)) {
        return false;
    }
    *out = a.initial + a.realised + a.unrealised - a.fees + a.funding;
    return true;
}

uint64_t portfolio_hash(uint64_t hash, const portfolio_t *p)
{
    hash = hash_bytes(hash, p, sizeof *p);
    hash = hash_bytes(hash, account_of(p, 1), sizeof(account_t) * p->accounts_max);
    for (uint32_t id = 1; id <= p->instruments_max; id++) {
        if (instrument_defined(p, id)) {
            hash = hash_bytes(hash, slot_of(p, id), sizeof(slot_t));
        }
    }
    /* the index follows from rows, buckets from facts */
    hash                 = hash_bytes(hash, portfolio_at(p, p->rows_off), sizeof(row_t) * (uint64_t)p->rows);
    hash                 = hash_bytes(hash, portfolio_at(p, p->lots_off), sizeof(lot_t) * (uint64_t)p->lots);
    const uint64_t facts = p->facts < p->facts_max ? p->facts : p->facts_max;
    return hash_bytes(hash, portfolio_at(p, p->facts_off), sizeof(fact_t) * facts);
}
