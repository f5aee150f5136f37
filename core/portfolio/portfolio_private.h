/* portfolio_private: the arena of the portfolio and what its files call of each other.
 *
 *   head (currencies, rates, schedules) | instruments | accounts | index | rows | lots | facts | buckets of facts
 *
 *   portfolio.c   memory, set-up, reading, hash
 *   ledger.c      the cash side: currencies of an account, movements, holds, facts (what was booked once)
 *   position.c    the position side: rows, sides, cost, lots, fills, marks
 *   charge.c      fees: schedules, MISC_FEE
 *   fx.c          rates, figures in another currency
 *
 * Places in rows, lots and facts count from 1; 0 is none. Everything is zero when it is new, and there is no
 * padding: the
 * hash is one of the bytes. */
#pragma once

#include <assert.h>
#include <string.h>

#include "core/portfolio/portfolio.h"
#include "core/types/hash.h"
#include "core/types/time.h"

#define NANO 1000000000LL
#define SCALE_MAX 12       /* of money, as in core/ref/instrument.h */
#define CURRENCIES_MAX 64u /* of all accounts and instruments */
#define FEE_WINDOW_DAYS 30u

/* Five totals make up equity and six make up pnl_day: with each within 2^60 no sum of them leaves an int64. */
#define TOTAL_MAX (1LL << 60)
#define EQUITY_MAX (4 * TOTAL_MAX - 1) /* a drawdown fits */
#define HOME_MAX (1LL << 58) /* equity of a currency, converted: eight of them and the home currency's fit an int64 */

typedef struct currency {
    uint64_t ccy;
    int64_t  money_exp;
} currency_t;

typedef struct rate { /* one unit of ccy is rate units of to_ccy; a pair without a rate yet has rate 0 */
    fx_rate_t fx;
    uint64_t  follows; /* 1: fx.source's marks say it */
} rate_t;

typedef struct schedule { /* complete when got == tiers > 0 */
    uint32_t       tiers;
    uint32_t       got;
    fee_schedule_t tier[FEE_TIERS_MAX];
} schedule_t;

typedef struct cash { /* one currency of one account */
    i128_t   hold;
    i128_t   open_cost; /* of open derivatives: what the balance would have more without them */
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
    int64_t peak;  /* largest equity since then */
    int64_t place; /* of its rate to the home currency: from 1, negative = of the inverse; 0 = none */
    int64_t reserved;
} cash_t;

typedef struct account { /* open when ccy_count > 0; cash[0] is the home currency */
    cash_t       cash[PORTFOLIO_CCYS_MAX];
    uint32_t     ccy_count;
    uint32_t     flags;    /* ACCOUNT_* */
    uint32_t     schedule; /* 0 = none */
    uint32_t     booked;   /* 1 after the first row */
    int64_t      peak;     /* largest equity of today in the home currency */
    int64_t      initial;  /* as it was defined */
    fee_window_t window;   /* value traded, home money; kept when there is a schedule */
} account_t;

typedef struct row {    /* a position: of an account (strategy_id 0) or of a strategy in it; of one side or of both */
    i128_t  flow_nano;  /* sum of the fills' cash flows; what is booked is its floor in money. In the first row of an */
    int64_t carry_nano; /* owner, for its sides together; of the account, what the ledger withholds, 0..NANO-1        */
    int64_t qty;
    int64_t cost;
    int64_t realised;
    int64_t unrealised; /* of an account's; a strategy's is reckoned when it is asked for */
    int64_t haircut;
    int64_t fees;
    int64_t funding;
    int64_t lots_qty; /* of the lots in the pool; the rest of qty and cost is the newest lot */
    int64_t lots_cost;
    uint32_t account_id;
    uint32_t instrument_id;
    uint32_t strategy_id;
    uint32_t side; /* side_t: NONE both, BUY long, SELL short */
    uint32_t next; /* of the same account and instrument, in the order in which they came */
    uint32_t holder_prev;
    uint32_t holder_next;
    uint32_t lot_first; /* oldest */
    uint32_t lot_last;
    uint32_t held; /* 1: in the list of its instrument */
    uint64_t reserved;
} row_t;

typedef struct lot {
    int64_t  qty;
    int64_t  cost;
    uint32_t next; /* newer; of a free one the next free one */
    uint32_t reserved;
} lot_t;

enum { FACT_CASH = FEE_KIND_COUNT }; /* fact_t.kind beside fee_kind_t */
enum { FACT_ESTIMATE = 1, FACT_BOOKED = 2, FACT_UNDONE = 3 };

typedef struct fact { /* something that is booked once */
    uint64_t key_hi;
    uint64_t key_lo;
    uint64_t ccy;
    int64_t  amount; /* fees: paid */
    uint32_t account_id;
    uint32_t instrument_id;
    uint32_t strategy_id;
    uint32_t next; /* in its bucket */
    uint32_t kind;
    uint32_t state;
} fact_t;

typedef struct slot { /* one instrument; defined when ins.def.instrument_id is not 0 */
    instrument_t ins;
    int64_t      bid_px;
    int64_t      ask_px;
    uint32_t     marked;
    uint32_t     stale;
    uint32_t     holder_first;
    uint32_t     follow; /* place of the rate that its marks say */
} slot_t;

struct portfolio {
    uint64_t   magic;
    uint32_t   accounts_max, instruments_max, rows_max, lots_max, facts_max, buckets;
    uint64_t   slots_off, accounts_off, index_off, rows_off, lots_off, facts_off, buckets_off, end_off;
    uint32_t   rows, currencies, rates, lots; /* used; of lots: ever taken */
    uint32_t   lot_free, reserved;
    uint64_t   facts; /* ever */
    currency_t currency[CURRENCIES_MAX];
    rate_t     rate[PORTFOLIO_RATES_MAX];
    schedule_t schedule[PORTFOLIO_SCHEDULES_MAX];
};

_Static_assert(sizeof(cash_t) == 144 && sizeof(account_t) == 8 * 144 + 288 && sizeof(row_t) == 144 &&
                   sizeof(lot_t) == 24 && sizeof(fact_t) == 56 && sizeof(rate_t) == 56 &&
                   sizeof(slot_t) == sizeof(instrument_t) + 32 && sizeof(instrument_t) % 8 == 0,
               "no padding: hashed as bytes");

static inline void *portfolio_at(const portfolio_t *p, uint64_t off)
{
    return (char *)(uintptr_t)p + off; /* the one place where const of a read-only call is left; readers add it again */
}

static inline slot_t *slot_of(const portfolio_t *p, uint32_t instrument_id)
{
    return (slot_t *)portfolio_at(p, p->slots_off) + (instrument_id - 1);
}

static inline account_t *account_of(const portfolio_t *p, uint32_t account_id)
{
    return (account_t *)portfolio_at(p, p->accounts_off) + (account_id - 1);
}

static inline uint32_t *index_of(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id)
{
    return (uint32_t *)portfolio_at(p, p->index_off) +
           ((size_t)(instrument_id - 1) * p->accounts_max + (account_id - 1));
}

static inline row_t *row_at(const portfolio_t *p, uint32_t place)
{
    return (row_t *)portfolio_at(p, p->rows_off) + (place - 1);
}

static inline bool account_open(const portfolio_t *p, uint32_t account_id)
{
    return account_id >= 1 && account_id <= p->accounts_max && account_of(p, account_id)->ccy_count > 0;
}

static inline bool instrument_defined(const portfolio_t *p, uint32_t instrument_id)
{
    return instrument_id >= 1 && instrument_id <= p->instruments_max &&
           slot_of(p, instrument_id)->ins.def.instrument_id != 0;
}

static inline bool within(i128_t v, i128_t max)
{
    return (u128_t)(v + max) <= 2 * (u128_t)max; /* -max <= v <= max, |v| below 2^126 */
}

/* sum += delta, both sides of TOTAL_MAX. false = beyond it; *sum is then of no use (callers give back what they
 * saved). */
static inline bool total_add(int64_t *sum, i128_t delta)
{
    const i128_t v = *sum + delta;
    *sum           = (int64_t)v;
    return within(v, TOTAL_MAX);
}

static inline int64_t cash_equity(const cash_t *c)
{
    return c->initial + c->realised + c->unrealised - c->fees + c->funding;
}

/* An instrument has a value at any price, but an inverse contract none at one that is not above 0. Fills are facts:
 * what
 * the venue says is booked, also at a price that it should not have. */
static inline bool px_bookable(const slot_t *slot, int64_t px)
{
    return px > 0 || slot->ins.def.kind != INSTRUMENT_INVERSE;
}

/* What an event changes, as it was: given back whole when it cannot be booked. */
typedef struct undo {
    uint32_t  account_id;
    uint32_t  rows;     /* that there were */
    uint32_t  count;    /* of rows saved */
    uint32_t  place[8]; /* both sides of account and strategy, a row for each kind of fee */
    row_t     row[8];
    account_t account;
} undo_t;

/* ---- portfolio.c ------------------------------------------------------------------------------------------------- */
err_t check_ids(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id);
/* currency_learn: the scale of a currency, ERR_ARG when another is known, ERR_LIMIT. currency_exp: -1 = not known. */
err_t   currency_learn(portfolio_t *p, uint64_t ccy, int64_t money_exp);
int64_t currency_exp(const portfolio_t *p, uint64_t ccy);

/* ---- ledger.c ---------------------------------------------------------------------------------------------------- */
/* cash_find: place of a currency among an account's, PORTFOLIO_CCYS_MAX or ccy_count = it is not there. cash_open:
 * likewise, and
 * opens it at 0; PORTFOLIO_CCYS_MAX = no room. */
uint32_t cash_find(const account_t *a, uint64_t ccy);
uint32_t cash_open(portfolio_t *p, account_t *a, uint64_t ccy);
/* ledger_fill: nano money of a fill; carry: what is withheld. ledger_pay: money. false = out of range. */
bool ledger_fill(cash_t *c, int64_t *carry_nano, i128_t flow_nano);
bool ledger_pay(cash_t *c, i128_t received);
/* account_settle: the last step of every event: is equity within its range, and is it a peak? */
bool account_settle(const portfolio_t *p, account_t *a);
/* money_rescale: from one scale to another, rounded down. false = does not fit. */
bool money_rescale(int64_t amount, int64_t from_exp, int64_t to_exp, int64_t *out);
/* fact_find: NULL = not told, or forgotten. fact_keep: remember one, the oldest is forgotten for it. */
fact_t *fact_find(const portfolio_t *p, uint32_t kind, uint32_t account_id, uint32_t instrument_id, uint64_t key_hi,
                  uint64_t key_lo);
void    fact_keep(portfolio_t *p, const fact_t *fact);

/* ---- position.c -------------------------------------------------------------------------------------------------- */
/* row_find: 0 = there is none. row_make: likewise, and makes it; 0 = no room. side NONE: any side, for finding only. */
uint32_t row_find(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id, uint32_t strategy_id);
uint32_t row_side(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id, uint32_t strategy_id,
                  uint32_t side);
uint32_t row_make(portfolio_t *p, uint32_t account_id, uint32_t instrument_id, uint32_t strategy_id, uint32_t side);
void     undo_begin(undo_t *u, const portfolio_t *p, uint32_t account_id);
void     undo_row(undo_t *u, const portfolio_t *p, uint32_t place); /* before it changes */
void     undo_all(undo_t *u, portfolio_t *p);
/* row_unrealised: value at bid or ask less cost. */
bool row_unrealised(const slot_t *slot, int64_t qty, int64_t cost, int64_t px, int64_t *out);

/* ---- charge.c ---------------------------------------------------------------------------------------------------- */
/* charge: a fee in any currency: cash and fees of the account, and of the rows where it is their currency. rows are
 * made where
 * there are none. false: no room or out of range. */
bool charge(portfolio_t *p, undo_t *u, uint32_t instrument_id, uint32_t strategy_id, uint64_t ccy, i128_t amount);
/* charge_fill: by the schedule of the account; facts are kept by charge_keep when the event stands. */
typedef struct charged {
    int64_t  amount[FEE_KIND_COUNT]; /* by fee_kind_t, paid */
    uint64_t ccy;
    int64_t  value; /* home money traded */
} charged_t;
bool charge_fill(portfolio_t *p, undo_t *u, const portfolio_fill_t *f, charged_t *out);
void charge_keep(portfolio_t *p, const portfolio_fill_t *f, const charged_t *charged);
/* charge_undo: what was booked for an execution is given back; charge_forget: and that is remembered, when the event
 * stands. */
bool charge_undo(portfolio_t *p, undo_t *u, const portfolio_fill_t *f);
void charge_forget(portfolio_t *p, const portfolio_fill_t *f);
/* charge_most: fee and tax that a fill may cost at most, in settlement money. */
i128_t charge_most(const portfolio_t *p, const account_t *a, const instrument_t *ins, side_t side, int64_t px,
                   int64_t qty);

/* ---- fx.c -------------------------------------------------------------------------------------------------------- */
/* fx_place: of the rate from ccy to to_ccy, negative = of the inverse, 0 = none. fx_apply: amount by it, rounded
 * down, or up;
 * false = there is none, or it does not fit an int64. */
int64_t fx_place(const portfolio_t *p, uint64_t ccy, uint64_t to_ccy);
bool    fx_apply(const portfolio_t *p, int64_t place, int64_t from_exp, int64_t to_exp, int64_t amount, bool upwards,
                 int64_t *out);
int64_t fx_home_equity(const portfolio_t *p, const account_t *a);
/* cash_figures: one currency as it is told. */
void cash_figures(const cash_t *c, portfolio_account_t *out);
void fx_home(const portfolio_t *p, const account_t *a, portfolio_account_t *out);
