#include "core/portfolio/portfolio.h"

#include <assert.h>
#include <string.h>

#include "core/types/hash.h"

#define PORTFOLIO_MAGIC 0x6f696c6f66747270ULL
#define PORTFOLIO_ALIGN 64u
#define ACCOUNTS_LIMIT 4096u
#define INSTRUMENTS_LIMIT 65536u
#define ROWS_LIMIT (1u << 22)
#define NANO 1000000000LL

/* Five totals make up equity and six make up pnl_day: with each within 2^60 no sum of them leaves an int64. */
#define TOTAL_MAX (1LL << 60)

typedef struct cash { /* one currency of one account */
    uint64_t ccy;
    int64_t  money_exp; /* -1 = not known yet */
    /* ledger side */
    int64_t balance;
    /* profit-and-loss side */
    int64_t initial;
    int64_t realised;
    int64_t unrealised;
    int64_t haircut; /* of stale marks: the part of unrealised that pnl_day does not count */
    int64_t fees;
    int64_t funding;
    int64_t realised_base; /* at the start of the day */
    int64_t fees_base;
    int64_t peak; /* largest equity since then */
} cash_t;

typedef struct account { /* open when ccy_count > 0; cash[0] is the home currency */
    uint64_t ccy_count;
    cash_t   cash[PORTFOLIO_CCYS_MAX];
} account_t;

typedef struct row {    /* one (account, instrument) */
    i128_t  flow_nano;  /* position side: sum of the fills' cash flows; what is booked is its floor in money */
    int64_t carry_nano; /* ledger side: what has been withheld from cash, 0..NANO-1 */
    int64_t qty;
    int64_t cost;
    int64_t realised;
    int64_t unrealised;
    int64_t haircut;
    int64_t fees;
    int64_t funding;
    int64_t unrealised_next; /* within portfolio_mark only */
    int64_t used;            /* 1 after the first fill or funding */
} row_t;

typedef struct slot { /* one instrument; defined when ins.def.instrument_id is not 0 */
    instrument_t ins;
    int64_t      bid_px;
    int64_t      ask_px;
    uint32_t     marked;
    uint32_t     stale;
} slot_t;

struct portfolio { /* then slots, accounts, rows */
    uint64_t magic;
    uint32_t accounts_max;
    uint32_t instruments_max;
    uint64_t slots_off;
    uint64_t accounts_off;
    uint64_t rows_off;
    uint64_t end_off;
};

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static uint64_t align_up(uint64_t bytes)
{
    return (bytes + PORTFOLIO_ALIGN - 1) & ~(uint64_t)(PORTFOLIO_ALIGN - 1);
}

static portfolio_t layout(const portfolio_cfg_t *cfg)
{
    portfolio_t p = {
        .magic = PORTFOLIO_MAGIC, .accounts_max = cfg->accounts_max, .instruments_max = cfg->instruments_max};
    p.slots_off    = align_up(sizeof p);
    p.accounts_off = align_up(p.slots_off + sizeof(slot_t) * p.instruments_max);
    p.rows_off     = align_up(p.accounts_off + sizeof(account_t) * p.accounts_max);
    p.end_off      = align_up(p.rows_off + sizeof(row_t) * p.accounts_max * p.instruments_max);
    return p;
}

size_t portfolio_align(void)
{
    return PORTFOLIO_ALIGN;
}

size_t portfolio_footprint(const portfolio_cfg_t *cfg)
{
    if (cfg->accounts_max < 1 || cfg->accounts_max > ACCOUNTS_LIMIT) {
        err_set(ERR_ARG, "portfolio: accounts_max is %u, limit 1..%u", cfg->accounts_max, ACCOUNTS_LIMIT);
        return 0;
    }
    if (cfg->instruments_max < 1 || cfg->instruments_max > INSTRUMENTS_LIMIT) {
        err_set(ERR_ARG, "portfolio: instruments_max is %u, limit 1..%u", cfg->instruments_max, INSTRUMENTS_LIMIT);
        return 0;
    }
    if (cfg->accounts_max * cfg->instruments_max > ROWS_LIMIT) {
        err_set(ERR_ARG, "portfolio: accounts_max x instruments_max is %u, limit %u",
                cfg->accounts_max * cfg->instruments_max, ROWS_LIMIT);
        return 0;
    }
    return layout(cfg).end_off;
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
    const portfolio_t head = layout(cfg);
    memset(mem, 0, bytes);
    memcpy(mem, &head, sizeof head);
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

static void *at(const portfolio_t *p, uint64_t off)
{
    return (char *)(uintptr_t)p + off; /* the one place where const of a read-only call is left; readers add it again */
}

static slot_t *slot_of(const portfolio_t *p, uint32_t instrument_id)
{
    return (slot_t *)at(p, p->slots_off) + (instrument_id - 1);
}

static account_t *account_of(const portfolio_t *p, uint32_t account_id)
{
    return (account_t *)at(p, p->accounts_off) + (account_id - 1);
}

static row_t *row_of(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id)
{
    return (row_t *)at(p, p->rows_off) + ((size_t)(instrument_id - 1) * p->accounts_max + (account_id - 1));
}

static bool account_open(const portfolio_t *p, uint32_t account_id)
{
    return account_id >= 1 && account_id <= p->accounts_max && account_of(p, account_id)->ccy_count > 0;
}

static bool defined(const portfolio_t *p, uint32_t instrument_id)
{
    return instrument_id >= 1 && instrument_id <= p->instruments_max &&
           slot_of(p, instrument_id)->ins.def.instrument_id != 0;
}

/* ---- totals ------------------------------------------------------------------------------------------------------ */

/* sum += delta, both sides of TOTAL_MAX. false = beyond it; *sum is then of no use (callers work on copies). */
static bool total_add(int64_t *sum, i128_t delta)
{
    const i128_t v = *sum + delta;
    *sum           = (int64_t)v;
    return v >= -TOTAL_MAX && v <= TOTAL_MAX;
}

static int64_t cash_equity(const cash_t *c)
{
    return c->initial + c->realised + c->unrealised - c->fees + c->funding;
}

/* Equity within 2^62 is what lets a drawdown fit; then the peak. Last step of every event, on a copy. */
static bool cash_settle(cash_t *c)
{
    const int64_t equity = cash_equity(c);
    c->peak              = max_i64(c->peak, equity);
    return equity < 4 * TOTAL_MAX && equity > -4 * TOTAL_MAX;
}

static uint32_t cash_index(const account_t *a, uint64_t ccy)
{
    uint32_t i = 0;
    while (i < a->ccy_count && a->cash[i].ccy != ccy) {
        i++;
    }
    return i;
}

static int64_t ccy_money_exp(const portfolio_t *p, uint64_t ccy, uint32_t except_id)
{
    for (uint32_t id = 1; id <= p->instruments_max; id++) {
        if (id != except_id && defined(p, id) && slot_of(p, id)->ins.def.settle_ccy == ccy) {
            return slot_of(p, id)->ins.def.money_exp;
        }
    }
    return -1;
}

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

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
    account_t     *a = account_of(p, account_id);
    const uint32_t i = cash_index(a, ccy);
    if (i < a->ccy_count) {
        return err_set(ERR_EXISTS, "portfolio: account %u has %s already", account_id, ccy_text(ccy, text));
    }
    if (i == PORTFOLIO_CCYS_MAX) {
        return err_set(ERR_LIMIT, "portfolio: account %u: %s is one currency more than %u", account_id,
                       ccy_text(ccy, text), PORTFOLIO_CCYS_MAX);
    }
    a->cash[i] = (cash_t){
        .ccy = ccy, .money_exp = ccy_money_exp(p, ccy, 0), .balance = initial, .initial = initial, .peak = initial};
    a->ccy_count++;
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
    char                    text[9];
    if (def->instrument_id < 1 || def->instrument_id > p->instruments_max) {
        return err_set(ERR_ARG, "portfolio: instrument %u, limit 1..%u", def->instrument_id, p->instruments_max);
    }
    const int64_t money_exp = ccy_money_exp(p, def->settle_ccy, def->instrument_id);
    if (money_exp >= 0 && money_exp != def->money_exp) {
        return err_set(ERR_ARG, "portfolio: instrument %u: money_exp is %d, limit %lld as other instruments in %s",
                       def->instrument_id, def->money_exp, (long long)money_exp, ccy_text(def->settle_ccy, text));
    }
    slot_t *slot = slot_of(p, def->instrument_id);
    for (uint32_t id = 1; id <= p->accounts_max; id++) {
        if (row_of(p, id, def->instrument_id)->used && !same_economics(&slot->ins.def, def)) {
            return err_set(ERR_STATE,
                           "portfolio: instrument %u: kind, currency, scale or multiplier changed, and "
                           "account %u has booked in it",
                           def->instrument_id, id);
        }
    }
    slot->ins = *ins;
    for (uint32_t id = 1; id <= p->accounts_max; id++) {
        account_t     *a = account_of(p, id);
        const uint32_t i = cash_index(a, def->settle_ccy);
        if (i < a->ccy_count) {
            a->cash[i].money_exp = def->money_exp;
        }
    }
    return ERR_OK;
}

/* ---- the ledger side --------------------------------------------------------------------------------------------- */

static bool ledger_pay(cash_t *c, int64_t received)
{
    return total_add(&c->balance, received);
}

/* Nano money comes in with what was withheld before; whole money reaches the balance, the rest is withheld again. */
static bool ledger_fill(cash_t *c, row_t *r, i128_t flow_nano)
{
    const i128_t due   = flow_nano + r->carry_nano;
    int64_t      money = 0;
    if (!fit_i64(div_floor(due, NANO), &money)) {
        return false;
    }
    r->carry_nano = (int64_t)(due - mul_i64(money, NANO));
    return ledger_pay(c, money);
}

/* ---- the position side ------------------------------------------------------------------------------------------- */

static bool realise(cash_t *c, row_t *r, i128_t profit)
{
    return total_add(&r->realised, profit) && total_add(&c->realised, profit);
}

/* What opening qty at px costs, by itself, rounded up. */
static bool cost_of_open(const instrument_t *ins, int64_t px, int64_t qty, i128_t *cost)
{
    i128_t flow = 0;
    if (!instrument_value_nano(ins, px, -qty, &flow)) {
        return false;
    }
    *cost = -div_floor(flow, NANO);
    return true;
}

/* r->qty += qty, |qty| <= INT64_MAX. The money is the step of the floor of the running sum of flows. */
static bool position_fill(cash_t *c, row_t *r, const instrument_t *ins, int64_t px, int64_t qty, i128_t flow_nano)
{
    const i128_t  after    = r->flow_nano + flow_nano;
    const i128_t  proceeds = div_floor(after, NANO) - div_floor(r->flow_nano, NANO);
    const int64_t was      = r->qty;
    const i128_t  now      = (i128_t)was + qty;
    if (now > INT64_MAX || now < -INT64_MAX) {
        return false;
    }
    r->flow_nano = after;
    r->qty       = (int64_t)now;
    if (was == 0 || (was > 0) == (qty > 0)) {
        return total_add(&r->cost, -proceeds);
    }
    i128_t kept = 0; /* cost of what is open afterwards */
    if (now == 0 || (now > 0) == (was > 0)) {
        const int64_t closed = qty > 0 ? qty : -qty;
        kept                 = r->cost - div_ceil(mul_i64(r->cost, closed), was > 0 ? was : -was);
    } else if (!cost_of_open(ins, px, r->qty, &kept)) {
        return false;
    }
    const i128_t profit = proceeds - (r->cost - kept);
    return total_add(&r->cost, kept - r->cost) && realise(c, r, profit);
}

static bool position_unrealised(const slot_t *slot, const row_t *r, int64_t bid_px, int64_t ask_px, int64_t *out)
{
    i128_t value = 0;
    if (!instrument_value_nano(&slot->ins, r->qty > 0 ? bid_px : ask_px, r->qty, &value)) {
        return false;
    }
    return fit_i64(div_floor(value, NANO) - r->cost, out);
}

/* A stale mark may lower pnl_day but not raise it: a profit on it does not count, a loss does. */
static bool position_mark(cash_t *c, row_t *r, int64_t unrealised, bool stale)
{
    const int64_t haircut = stale ? max_i64(unrealised, 0) : 0;
    const bool    ok      = total_add(&c->unrealised, (i128_t)unrealised - r->unrealised) &&
                    total_add(&c->haircut, (i128_t)haircut - r->haircut);
    r->unrealised = unrealised;
    r->haircut    = haircut;
    return ok;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static err_t check_ids(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id)
{
    if (!account_open(p, account_id)) {
        return err_set(ERR_NOT_FOUND, "portfolio: account %u is not open (accounts_max %u)", account_id,
                       p->accounts_max);
    }
    if (!defined(p, instrument_id)) {
        return err_set(ERR_NOT_FOUND, "portfolio: instrument %u is not defined (instruments_max %u)", instrument_id,
                       p->instruments_max);
    }
    return ERR_OK;
}

/* Marks: a price that the instrument can have. */
static bool px_valid(const slot_t *slot, int64_t px)
{
    return px > 0 || slot->ins.def.allow_negative;
}

/* Fills are facts: what the venue says is booked, also at a price that it should not have. Only an inverse contract has
 * no value at all at such a price. */
static bool px_bookable(const slot_t *slot, int64_t px)
{
    return px > 0 || slot->ins.def.kind != INSTRUMENT_INVERSE;
}

/* Copies of what one event touches; put back whole or not at all. */
typedef struct draft {
    uint32_t index;
    cash_t   cash;
    row_t    row;
} draft_t;

static err_t draft_take(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id, draft_t *d)
{
    const account_t        *a   = account_of(p, account_id);
    const instrument_def_t *def = &slot_of(p, instrument_id)->ins.def;
    d->index                    = cash_index(a, def->settle_ccy);
    if (d->index == PORTFOLIO_CCYS_MAX) {
        return err_set(ERR_LIMIT, "portfolio: account %u: instrument %u settles in one currency more than %u",
                       account_id, instrument_id, PORTFOLIO_CCYS_MAX);
    }
    d->cash =
        d->index < a->ccy_count ? a->cash[d->index] : (cash_t){.ccy = def->settle_ccy, .money_exp = def->money_exp};
    d->row = *row_of(p, account_id, instrument_id);
    return ERR_OK;
}

static void draft_keep(portfolio_t *p, uint32_t account_id, uint32_t instrument_id, const draft_t *d)
{
    account_t *a                          = account_of(p, account_id);
    a->cash[d->index]                     = d->cash;
    a->ccy_count                          = a->ccy_count > d->index ? a->ccy_count : d->index + 1;
    *row_of(p, account_id, instrument_id) = d->row;
}

static err_t check_fill(const portfolio_t *p, const portfolio_fill_t *f)
{
    const err_t err = check_ids(p, f->account_id, f->instrument_id);
    if (err != ERR_OK) {
        return err;
    }
    if (f->side != SIDE_BUY && f->side != SIDE_SELL) {
        return err_set(ERR_ARG, "portfolio: fill on instrument %u: side %u, limit 1 buy or 2 sell", f->instrument_id,
                       f->side);
    }
    if (f->qty <= 0 || !px_bookable(slot_of(p, f->instrument_id), f->px)) {
        return err_set(ERR_ARG, "portfolio: fill on instrument %u: qty %lld at px %lld, limit above 0",
                       f->instrument_id, (long long)f->qty, (long long)f->px);
    }
    return ERR_OK;
}

/* A fill moves cash by value(-q) and a bust by -value(-q) of the fill's q: the latter gives back the same nano money,
 * where value(q) would be a nano short after a division. */
static err_t book(portfolio_t *p, const portfolio_fill_t *f, bool bust)
{
    draft_t d;
    err_t   err = check_fill(p, f);
    if (err == ERR_OK) {
        err = draft_take(p, f->account_id, f->instrument_id, &d);
    }
    if (err != ERR_OK) {
        return err;
    }
    slot_t       *slot       = slot_of(p, f->instrument_id);
    const int64_t filled     = f->side == SIDE_BUY ? f->qty : -f->qty;
    const int64_t bid_px     = slot->marked ? slot->bid_px : f->px;
    const int64_t ask_px     = slot->marked ? slot->ask_px : f->px;
    const i128_t  fee        = bust ? -(i128_t)f->fee : f->fee;
    i128_t        flow       = 0;
    int64_t       money      = 0;
    int64_t       unrealised = 0;
    bool          ok         = instrument_value_nano(&slot->ins, f->px, -filled, &flow) && fit_i64(flow / NANO, &money);
    if (ok && bust) {
        flow = -flow;
    }
    ok = ok && ledger_fill(&d.cash, &d.row, flow) && total_add(&d.cash.balance, -fee);
    ok = ok && position_fill(&d.cash, &d.row, &slot->ins, f->px, bust ? -filled : filled, flow);
    ok = ok && total_add(&d.row.fees, fee) && total_add(&d.cash.fees, fee);
    ok = ok && position_unrealised(slot, &d.row, bid_px, ask_px, &unrealised);
    ok = ok && position_mark(&d.cash, &d.row, unrealised, slot->stale);
    if (!ok || !cash_settle(&d.cash)) {
        return err_set(ERR_RANGE,
                       "portfolio: account %u: %s of %lld of instrument %u at px %lld, fee %lld: a total leaves "
                       "its range (quantity int64, money +-%lld)",
                       f->account_id, bust ? "bust" : "fill", (long long)filled, f->instrument_id, (long long)f->px,
                       (long long)f->fee, (long long)TOTAL_MAX);
    }
    d.row.used = 1;
    draft_keep(p, f->account_id, f->instrument_id, &d);
    slot->bid_px = bid_px;
    slot->ask_px = ask_px;
    slot->marked = 1;
    return ERR_OK;
}

err_t portfolio_fill(portfolio_t *p, const portfolio_fill_t *fill)
{
    return book(p, fill, false);
}

err_t portfolio_bust(portfolio_t *p, const portfolio_fill_t *fill)
{
    return book(p, fill, true);
}

err_t portfolio_funding(portfolio_t *p, uint32_t account_id, uint32_t instrument_id, int64_t received)
{
    draft_t d;
    err_t   err = check_ids(p, account_id, instrument_id);
    if (err == ERR_OK) {
        err = draft_take(p, account_id, instrument_id, &d);
    }
    if (err != ERR_OK) {
        return err;
    }
    const bool ok =
        ledger_pay(&d.cash, received) && total_add(&d.row.funding, received) && total_add(&d.cash.funding, received);
    if (!ok || !cash_settle(&d.cash)) {
        return err_set(ERR_RANGE, "portfolio: account %u: funding %lld of instrument %u: a total leaves +-%lld",
                       account_id, (long long)received, instrument_id, (long long)TOTAL_MAX);
    }
    d.row.used = 1;
    draft_keep(p, account_id, instrument_id, &d);
    return ERR_OK;
}

/* Two passes, so that a mark which one account cannot take is taken by none. */
static err_t remark(portfolio_t *p, uint32_t instrument_id, int64_t bid_px, int64_t ask_px, bool stale)
{
    slot_t *slot = slot_of(p, instrument_id);
    row_t  *rows = row_of(p, 1, instrument_id);
    for (uint32_t i = 0; i < p->accounts_max; i++) {
        if (rows[i].qty == 0) {
            continue;
        }
        const account_t *a    = account_of(p, i + 1);
        cash_t           cash = a->cash[cash_index(a, slot->ins.def.settle_ccy)];
        row_t            row  = rows[i];
        if (!position_unrealised(slot, &row, bid_px, ask_px, &rows[i].unrealised_next) ||
            !position_mark(&cash, &row, rows[i].unrealised_next, stale) || !cash_settle(&cash)) {
            return err_set(ERR_RANGE,
                           "portfolio: instrument %u at bid %lld, ask %lld: unrealised of account %u leaves "
                           "+-%lld",
                           instrument_id, (long long)bid_px, (long long)ask_px, i + 1, (long long)TOTAL_MAX);
        }
    }
    for (uint32_t i = 0; i < p->accounts_max; i++) {
        if (rows[i].qty != 0) {
            account_t *a    = account_of(p, i + 1);
            cash_t    *cash = &a->cash[cash_index(a, slot->ins.def.settle_ccy)];
            position_mark(cash, &rows[i], rows[i].unrealised_next, stale);
            cash_settle(cash);
        }
    }
    slot->bid_px = bid_px;
    slot->ask_px = ask_px;
    slot->marked = 1;
    slot->stale  = stale;
    return ERR_OK;
}

err_t portfolio_mark(portfolio_t *p, uint32_t instrument_id, int64_t bid_px, int64_t ask_px)
{
    if (!defined(p, instrument_id)) {
        return err_set(ERR_NOT_FOUND, "portfolio: mark: instrument %u is not defined (instruments_max %u)",
                       instrument_id, p->instruments_max);
    }
    const slot_t *slot = slot_of(p, instrument_id);
    if (slot->marked && !slot->stale && slot->bid_px == bid_px && slot->ask_px == ask_px) {
        return ERR_OK;
    }
    if (!px_valid(slot, bid_px) || !px_valid(slot, ask_px)) {
        return err_set(ERR_ARG, "portfolio: mark of instrument %u: bid %lld, ask %lld, limit above 0", instrument_id,
                       (long long)bid_px, (long long)ask_px);
    }
    return remark(p, instrument_id, bid_px, ask_px, false);
}

err_t portfolio_mark_stale(portfolio_t *p, uint32_t instrument_id)
{
    if (!defined(p, instrument_id)) {
        return err_set(ERR_NOT_FOUND, "portfolio: stale mark: instrument %u is not defined (instruments_max %u)",
                       instrument_id, p->instruments_max);
    }
    const slot_t *slot = slot_of(p, instrument_id);
    if (!slot->marked || slot->stale) {
        return ERR_OK;
    }
    return remark(p, instrument_id, slot->bid_px, slot->ask_px, true);
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
    return ERR_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static const cash_t *cash_at(const portfolio_t *p, uint32_t account_id, uint32_t index)
{
    if (!account_open(p, account_id) || index >= account_of(p, account_id)->ccy_count) {
        return NULL;
    }
    return &account_of(p, account_id)->cash[index];
}

bool portfolio_position(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id, position_t *out)
{
    if (!account_open(p, account_id) || !defined(p, instrument_id) || !row_of(p, account_id, instrument_id)->used) {
        return false;
    }
    const row_t  *r    = row_of(p, account_id, instrument_id);
    const slot_t *slot = slot_of(p, instrument_id);
    *out               = (position_t){.account_id    = account_id,
                                      .instrument_id = instrument_id,
                                      .qty           = r->qty,
                                      .cost          = r->cost,
                                      .realised      = r->realised,
                                      .unrealised    = r->unrealised,
                                      .fees          = r->fees,
                                      .funding       = r->funding,
                                      .mark_px       = r->qty >= 0 ? slot->bid_px : slot->ask_px};
    return true;
}

bool portfolio_account(const portfolio_t *p, uint32_t account_id, uint32_t index, portfolio_account_t *out)
{
    const cash_t *c = cash_at(p, account_id, index);
    if (c == NULL) {
        return false;
    }
    *out          = (portfolio_account_t){.ccy          = c->ccy,
                                          .money_exp    = (int32_t)c->money_exp,
                                          .initial      = c->initial,
                                          .cash         = c->balance,
                                          .realised     = c->realised,
                                          .unrealised   = c->unrealised,
                                          .fees         = c->fees,
                                          .funding      = c->funding,
                                          .equity       = cash_equity(c),
                                          .realised_day = c->realised - c->realised_base,
                                          .fees_day     = c->fees - c->fees_base};
    out->pnl_day  = out->realised_day + c->unrealised - c->haircut - out->fees_day;
    out->drawdown = c->peak - out->equity;
    return true;
}

bool portfolio_equity_cash_side(const portfolio_t *p, uint32_t account_id, uint32_t index, int64_t *out)
{
    const cash_t *c = cash_at(p, account_id, index);
    if (c == NULL) {
        return false;
    }
    i128_t equity = c->balance;
    for (uint32_t id = 1; id <= p->instruments_max; id++) {
        const slot_t *slot  = slot_of(p, id);
        const row_t  *r     = row_of(p, account_id, id);
        i128_t        value = 0;
        if (r->qty == 0 || slot->ins.def.settle_ccy != c->ccy) {
            continue;
        }
        if (!instrument_value_nano(&slot->ins, r->qty > 0 ? slot->bid_px : slot->ask_px, r->qty, &value)) {
            return false;
        }
        equity += div_floor(value, NANO);
    }
    return fit_i64(equity, out);
}

bool portfolio_equity_pnl_side(const portfolio_t *p, uint32_t account_id, uint32_t index, int64_t *out)
{
    const cash_t *c = cash_at(p, account_id, index);
    if (c == NULL) {
        return false;
    }
    *out = cash_equity(c);
    return true;
}

static uint64_t hash_cash(uint64_t hash, const cash_t *c)
{
    const int64_t fields[] = {(int64_t)c->ccy, c->money_exp, c->balance, c->initial,       c->realised,  c->unrealised,
                              c->haircut,      c->fees,      c->funding, c->realised_base, c->fees_base, c->peak};
    return hash_bytes(hash, fields, sizeof fields);
}

static uint64_t hash_row(uint64_t hash, const row_t *r)
{
    const int64_t fields[] = {(int64_t)(r->flow_nano >> 64),
                              (int64_t)(uint64_t)r->flow_nano,
                              r->carry_nano,
                              r->qty,
                              r->cost,
                              r->realised,
                              r->unrealised,
                              r->haircut,
                              r->fees,
                              r->funding};
    return hash_bytes(hash, fields, sizeof fields);
}

uint64_t portfolio_hash(uint64_t hash, const portfolio_t *p)
{
    for (uint32_t id = 1; id <= p->accounts_max; id++) {
        const account_t *a = account_of(p, id);
        hash               = hash_u64(hash, a->ccy_count);
        for (uint32_t i = 0; i < a->ccy_count; i++) {
            hash = hash_cash(hash, &a->cash[i]);
        }
    }
    for (uint32_t id = 1; id <= p->instruments_max; id++) {
        const slot_t *slot = slot_of(p, id);
        if (!defined(p, id)) {
            continue;
        }
        hash                 = instrument_hash(hash_u64(hash, id), &slot->ins);
        const int64_t mark[] = {slot->bid_px, slot->ask_px, slot->marked, slot->stale};
        hash                 = hash_bytes(hash, mark, sizeof mark);
        for (uint32_t account_id = 1; account_id <= p->accounts_max; account_id++) {
            const row_t *r = row_of(p, account_id, id);
            if (r->used) {
                hash = hash_row(hash_u64(hash, account_id), r);
            }
        }
    }
    return hash;
}
