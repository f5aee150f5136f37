/* risk_private: the arena of the gate, shared by risk.c (set-up, control, reading), risk_limits.c (limit sets, changes,
 * overrides), risk_exposure.c (rows, sums, marks, currencies), risk_flow.c (counters of executions, denials, budgets),
 * risk_loss.c (J) and risk_check.c (the chain).
 *
 *   header | tenants | accounts | strategies | instruments | venues | rows account x instrument | rows strategy x
 *   instrument | rows tenant x instrument | flows strategy x instrument | holders of I | pass times of A, S, V x orders,
 *   cancels | passed orders of A | passed values of A | first verdicts | fills of S | reject times of S | rates
 *
 * Every struct is without padding: the arena is hashed as bytes. */
#pragma once

#include "core/risk/risk.h"
#include "core/types/ids.h"

#define RISK_MAGIC 0x31304b5349524857ULL /* "WHRISK01" */
#define BP RISK_BP                       /* 100 % */
#define RISK_SOFT_GATE_NS NS_PER_S
#define NO_MARK INT64_MIN /* no price has it; 0 may be one */

typedef enum risk_rate_kind { RATE_ORDERS, RATE_MESSAGES, RATE_CANCELS, RATE_KINDS } risk_rate_kind_t;
enum { RATE_RINGS = 2 }; /* pass times of orders, which are those of messages too; and of cancels */

typedef struct risk_rate {
    int64_t  n; /* at most n passed events in (t - w_ns, t] */
    int64_t  w_ns;
    int64_t  soft_n; /* from this count on, a soft event */
    int64_t  soft_ns;
    uint64_t passed; /* ever: free-running head of the ring of pass times */
    uint64_t free;   /* of ORDERS, which is MESSAGES too: so many more surely stay below both soft limits; 0 = look */
} risk_rate_t;

enum { ROW_LIMITS = 1, ROW_DENIED = 2, ROW_BROKEN = 4, ROW_KILLED = 8 }; /* risk_row_t.flags */
enum { KILLED_NAMED = 1, KILLED_AUTO = 2 }; /* risk_strategy_t.killed: by CONTROL; by 276 or 279 until CONTROL_ENABLE */
enum { ROW_SOFT_LONG, ROW_SOFT_SHORT, ROW_SOFT_ORDERS, ROW_SOFTS };

/* account x instrument; strategy x instrument and tenant x instrument, there without values, buckets and orders */
typedef struct risk_row {
    int64_t  pos;
    int64_t  buy_open;
    int64_t  sell_open;
    int64_t  max_long;
    int64_t  max_short;
    int64_t  max_qty;
    int64_t  max_open_orders;
    uint32_t open_orders;
    uint32_t flags;

    int64_t mark_px;     /* price of the values below */
    int64_t value_long;  /* L at mark_px, signed, home money */
    int64_t value_short; /* K likewise */
    int64_t need;        /* margin of the greater of both, home money */
    i128_t  open_value;  /* settlement money: sum of the parts of open orders, */
    i128_t  open_home;   /* and in home money, as it is counted in the account's sum */

    i128_t  buy_value; /* of both the buys of a SPOT instrument */
    i128_t  buy_home;
    int64_t soft_ns[ROW_SOFTS];
    int64_t long_qty; /* hedging accounts: pos = long_qty - short_qty */

    int64_t short_qty;
    int64_t close_buy_open; /* of buy_open and sell_open what closes a bucket */
    int64_t close_sell_open;
    int64_t reserved[5];
} risk_row_t;

typedef struct
    risk_flow { /* strategy x instrument, of the trading day: order-to-trade (275); fills in the window (276) */
    uint64_t otr_orders; /* NEW, REPLACE and CANCEL that passed; not cancels after kill, disconnect, auction */
    uint64_t otr_trades;
    int64_t  otr_qty; /* likewise their quantity: of NEW all, of REPLACE and CANCEL what is left; stays at INT64_MAX */
    int64_t  otr_traded_qty;
    uint32_t fills_buy; /* of the strategy's ring of fills, those of this instrument and side */
    uint32_t fills_sell;
} risk_flow_t;

typedef struct risk_fill_time { /* a booked execution, for 276 */
    int64_t  mono_ns;
    uint32_t instrument_id;
    uint32_t side;
} risk_fill_time_t;

typedef struct risk_fx { /* one unit of ccy is rate units of to_ccy */
    uint64_t ccy;
    uint64_t to_ccy;
    int64_t  rate; /* in 10^-rate_exp, > 0 */
    int64_t  mono_ns;
    int64_t  rate_exp;
} risk_fx_t;

typedef struct risk_tenant {
    int64_t  max_credit; /* RISK_OFF until it is set */
    int64_t  soft_ns;
    i128_t   need; /* margin needs of its accounts, in the firm's money */
    uint64_t killed;
    uint64_t has_limits;
} risk_tenant_t;

typedef struct risk_override { /* a raised limit with an end, asked for by one person and approved by another */
    uint64_t change_id;        /* 0 = free */
    int64_t  value;
    int64_t  base; /* active: what is in force again at its end */
    int64_t  until_utc_ns;
    uint32_t scope_id;
    uint32_t scope_id2;
    uint32_t asked_by; /* uid */
    uint16_t field;
    uint8_t  scope_type;
    uint8_t  active;
} risk_override_t;

enum {
    ACCOUNT_SOFT_GROSS,
    ACCOUNT_SOFT_NET_LONG,
    ACCOUNT_SOFT_NET_SHORT,
    ACCOUNT_SOFT_ORDERS,
    ACCOUNT_SOFT_OPEN_VALUE,
    ACCOUNT_SOFT_RATE_VALUE,
    ACCOUNT_SOFT_CREDIT,
    ACCOUNT_SOFT_MARGIN,
    ACCOUNT_SOFT_CASH,
    ACCOUNT_SOFT_TURNOVER,
    ACCOUNT_SOFTS
};

#define RISK_DUP_SLOTS 256u

typedef struct risk_account {
    uint8_t            exists;
    uint8_t            has_limits;
    uint8_t            killed;
    uint8_t            reduce_only;
    uint8_t            recovering;
    uint8_t            unreconciled;
    uint16_t           latched;       /* 0 or the code of the loss */
    uint64_t           venues_killed; /* account x venue: bit 1 << venue id */
    uint64_t           dup_head;      /* orders passed ever: head of the ring for 277 */
    uint64_t           value_head;    /* ring for 273: entries value_tail .. value_head - 1 are in the window */
    uint64_t           value_tail;
    int64_t            open_orders;
    i128_t             value_sum;
    i128_t             gross;
    i128_t             net_long;
    i128_t             net_short;
    i128_t             open_value;
    i128_t             need;         /* margin of the worst case: sum of the rows' */
    i128_t             need_firm;    /* the same in the firm's money, as it is counted for tenant and firm */
    i128_t             buy_value;    /* of open_value, the buys of SPOT: to be paid */
    i128_t             traded_value; /* of the trading day */
    int64_t            equity;       /* as told by risk_equity; 0 before */
    int64_t            cash_free;    /* cash that open buys may use */
    risk_account_cfg_t cfg;
    risk_limits_t      limits;
    risk_rate_t        rate[RATE_KINDS];
    int64_t            soft_ns[ACCOUNT_SOFTS];
    int64_t            equity_peak;
    int64_t            day;     /* trading day of equity_peak, plus 1; 0 = none yet */
    int64_t            stop_ns; /* when latched, and the loss then */
    int64_t            stop_loss;
    int64_t            warn_ns;
    int64_t            reserved;
    int64_t            dup_ns[RISK_DUP_SLOTS]; /* when an order of that hash passed last: 277 looks no further then */
} risk_account_t;

typedef struct risk_strategy {
    uint32_t      tenant_id; /* 0 = does not exist */
    uint32_t      approved_version;
    uint32_t      killed; /* KILLED_* */
    uint32_t      has_limits;
    risk_rate_t   rate[RATE_KINDS];
    uint64_t      fill_head; /* ring of booked executions: fill_tail .. fill_head - 1 are in the window of 276 */
    uint64_t      fill_tail;
    uint64_t      rejected;      /* ever: free-running head of the ring of reject times (279) */
    uint64_t      rejected_from; /* rejects before this one do not count: a named person enabled it */
    risk_limits_t limits;
} risk_strategy_t;

typedef struct risk_venue {
    uint8_t     killed;
    uint8_t     has_limits;
    uint8_t     link_up;
    uint8_t     ring_full;
    uint32_t    session; /* session_t */
    risk_rate_t rate[RATE_KINDS];
    int64_t     budget_used; /* of the venue's own limit, as the adapter said last; risk_budget_used() is what counts */
    int64_t     budget_limit; /* 0 = it said none */
    int64_t     budget_w_ns;
    int64_t     budget_mono_ns;    /* when it was said, or its window ended */
    int64_t     budget_sent;       /* requests that passed since then */
    int64_t     hold_until_utc_ns; /* nothing may be sent before */
    risk_limits_t limits;
} risk_venue_t;

typedef struct risk_bounds { /* what a reference price bounds, under the limits of a version */
    i128_t   px2;            /* twice the price */
    int64_t  collar_up;      /* 181: highest price of a buy */
    int64_t  collar_down;    /* 182: lowest of a sell       */
    int64_t  far_up;         /* 183 */
    int64_t  far_down;
    int64_t  max_spread; /* 163 */
    uint32_t version;    /* limit_version; 0 = nothing is kept here */
    uint32_t reserved;
} risk_bounds_t;

typedef struct risk_instrument {
    uint8_t       has_limits;
    uint8_t       killed;
    uint8_t       restricted;
    uint8_t       session; /* session_t */
    uint8_t       reserved[4];
    int64_t       mark_px;        /* newest of risk_mark and risk_check; NO_MARK = none yet */
    int64_t       pause_until_ns; /* 185: nothing new before this */
    int64_t       adv_qty;        /* average day's volume; 0 = not known, and 203 by it is not tested */
    risk_bounds_t bounds;
    risk_limits_t limits;
    int64_t       vol_slice; /* number of the slice of vol_last: mono_ns / (vol_w_ns / RISK_VOL_SLICES, up) */
    int64_t       vol_from;  /* number of the first slice that has a reference, plus 1; 0 = none yet */
    int64_t       vol_last;  /* reference price in force */
    int64_t       vol_px[RISK_VOL_SLICES + 2]; /* by slice: the one in force at its end */
    int64_t       reserved2[5];
} risk_instrument_t;

typedef struct risk_passed { /* an order that passed, for 277 */
    int64_t  mono_ns;
    int64_t  px;
    int64_t  qty;
    uint32_t instrument_id;
    uint8_t  side;
    uint8_t  ord_type;
    uint16_t reserved;
} risk_passed_t;

typedef struct risk_value { /* a value that passed, for 273 */
    int64_t mono_ns;
    int64_t value;
} risk_value_t;

typedef struct risk_verdict { /* the first verdict on an id, for 113 */
    uint64_t cl_ord_id;
    uint64_t seq_code; /* order_seq << 16 | code */
} risk_verdict_t;

struct risk {
    uint64_t        magic;
    risk_cfg_t      cfg;
    risk_counts_t   counts;
    uint32_t        limit_version;
    uint8_t         killed;
    uint8_t         journal_ok;
    uint8_t         clock_ok;
    uint8_t         has_limits;  /* of the firm */
    uint32_t        window_mask; /* entries of a ring, less one */
    uint32_t        value_mask;
    uint32_t        fill_mask;
    uint32_t        fx_count;
    int64_t         max_credit; /* of the firm; RISK_OFF until it is set */
    int64_t         credit_soft_ns;
    uint64_t        firm_ccy; /* of the first account: in it the needs of tenants and firm are counted */
    int64_t         firm_exp;
    uint64_t        reserved4;
    i128_t          need; /* margin needs of all accounts */
    uint32_t        news_count;
    uint32_t        override_count;
    risk_news_t     news[RISK_NEWS_MAX];
    risk_override_t overrides[RISK_OVERRIDES_MAX];
    uint64_t        seen[CL_ORD_ID_ORIGINS]; /* by origin: epoch << 44 | sequence of the newest id */
    uint64_t        tenants_off;
    uint64_t        accounts_off;
    uint64_t        strategies_off;
    uint64_t        instruments_off;
    uint64_t        venues_off;
    uint64_t        rows_off;
    uint64_t        strategy_rows_off;
    uint64_t        times_off;
    uint64_t        passed_off;
    uint64_t        values_off;
    uint64_t        verdicts_off;
    uint64_t        tenant_rows_off;
    uint64_t        flows_off;
    uint64_t        fills_off;
    uint64_t        rejects_off;
    uint64_t        fx_off;
    uint64_t        holders_off;
    uint64_t        size_bytes;
    uint32_t        verdict_mask;
    uint32_t        reserved2;
};

#define NO_PADDING(type, members) _Static_assert(sizeof(type) == (members), "no padding: hashed as bytes")
NO_PADDING(risk_rate_t, 48);
NO_PADDING(risk_row_t, 256); /* four lines; a check that passes touches two */
NO_PADDING(risk_flow_t, 40);
NO_PADDING(risk_fill_time_t, 16);
NO_PADDING(risk_fx_t, 40);
NO_PADDING(risk_tenant_t, 48);
NO_PADDING(risk_override_t, 48);
NO_PADDING(risk_news_t, 32);
NO_PADDING(risk_account_t, 480 + sizeof(risk_account_cfg_t) + sizeof(risk_limits_t) + 8 * RISK_DUP_SLOTS);
NO_PADDING(risk_strategy_t, 192 + sizeof(risk_limits_t));
NO_PADDING(risk_venue_t, 200 + sizeof(risk_limits_t));
NO_PADDING(risk_bounds_t, 64);
NO_PADDING(risk_instrument_t, 1024); /* whole lines */
NO_PADDING(risk_passed_t, 32);
NO_PADDING(risk_verdict_t, 16);

static inline void *risk_at(const risk_t *risk, uint64_t off)
{
    return (void *)((uintptr_t)risk + off);
}

static inline risk_tenant_t *risk_tenant(const risk_t *risk, uint32_t id)
{
    return (risk_tenant_t *)risk_at(risk, risk->tenants_off) + id;
}

static inline risk_account_t *risk_account(const risk_t *risk, uint32_t id)
{
    return (risk_account_t *)risk_at(risk, risk->accounts_off) + id;
}

static inline risk_strategy_t *risk_strategy(const risk_t *risk, uint32_t id)
{
    return (risk_strategy_t *)risk_at(risk, risk->strategies_off) + id;
}

static inline risk_instrument_t *risk_instrument(const risk_t *risk, uint32_t id)
{
    return (risk_instrument_t *)risk_at(risk, risk->instruments_off) + id;
}

static inline risk_venue_t *risk_venue(const risk_t *risk, uint32_t id)
{
    return (risk_venue_t *)risk_at(risk, risk->venues_off) + id;
}

/* Rows of one instrument lie side by side: a mark walks its accounts. */
static inline risk_row_t *risk_row(const risk_t *risk, uint32_t account_id, uint32_t instrument_id)
{
    return (risk_row_t *)risk_at(risk, risk->rows_off) +
           ((uint64_t)instrument_id * (risk->cfg.accounts_max + 1) + account_id);
}

static inline risk_row_t *risk_strategy_row(const risk_t *risk, uint32_t strategy_id, uint32_t instrument_id)
{
    return (risk_row_t *)risk_at(risk, risk->strategy_rows_off) +
           ((uint64_t)instrument_id * (risk->cfg.strategies_max + 1) + strategy_id);
}

static inline risk_row_t *risk_tenant_row(const risk_t *risk, uint32_t tenant_id, uint32_t instrument_id)
{
    return (risk_row_t *)risk_at(risk, risk->tenant_rows_off) +
           ((uint64_t)instrument_id * (risk->cfg.tenants_max + 1) + tenant_id);
}

static inline risk_flow_t *risk_flow(const risk_t *risk, uint32_t strategy_id, uint32_t instrument_id)
{
    return (risk_flow_t *)risk_at(risk, risk->flows_off) +
           ((uint64_t)instrument_id * (risk->cfg.strategies_max + 1) + strategy_id);
}

/* Bit account_id & 63 of word account_id / 64: the account has something of the instrument. */
static inline uint64_t *risk_holders(const risk_t *risk, uint32_t instrument_id)
{
    return (uint64_t *)risk_at(risk, risk->holders_off) + (uint64_t)instrument_id * (risk->cfg.accounts_max / 64 + 1);
}

/* Value of a quantity of 1 at a price of 1, where every value is a whole multiple of it that fits 64 bits. */
static inline int64_t risk_unit(const instrument_def_t *def)
{
    const int shift = def->money_exp - def->px_exp - def->qty_exp - def->mult_exp;
    int64_t   unit;
    if (def->kind == INSTRUMENT_INVERSE || shift < 0 ||
        __builtin_mul_overflow(def->mult, pow10_i64((unsigned)shift), &unit)) {
        return 0;
    }
    return unit;
}

/* instrument_notional, in two products where they fit, which is nearly always. */
static inline bool risk_notional(const instrument_t *ins, int64_t unit, int64_t px, int64_t qty, int64_t *out)
{
    int64_t v;
    if (unit > 0 && !__builtin_mul_overflow(px, qty, &v) && v != INT64_MIN &&
        !__builtin_mul_overflow((v < 0 ? -v : v), unit, &v)) {
        *out = v;
        return true;
    }
    return instrument_notional(ins, px, qty, out);
}

/* risk_fx_find: the rate by which money of an instrument becomes money of an account; NULL = there is none. What settles
 * in the account's own currency has rate 1 and is always fresh. risk_fx_fresh: is it young enough (else 162)? */
const risk_fx_t   *risk_fx_find(const risk_t *risk, uint64_t ccy, uint64_t to_ccy);
static inline bool risk_fx_fresh(const risk_t *risk, const risk_fx_t *fx, now_t now)
{
    return fx->ccy == 0 || now.mono_ns - fx->mono_ns <= risk->cfg.fx_max_age_ns;
}

/* risk_is_home: no conversion is needed. risk_home: value (>= 0) of one where it is, in the account's home money, rounded
 * up; false = there is no rate or it does not fit, *out = INT64_MAX. */
static inline bool risk_is_home(const risk_account_t *acc, const instrument_t *ins)
{
    return ins->def.settle_ccy == acc->cfg.ccy && ins->def.money_exp == acc->cfg.money_exp;
}
bool risk_home(const risk_t *risk, const risk_account_t *acc, const instrument_t *ins, int64_t value, int64_t *out);

/* risk_home_sum: the same of a sum; what does not fit or has no rate counts as INT64_MAX. risk_need_firm: a need of an
 * account in the firm's money, likewise. */
i128_t risk_home_sum(const risk_t *risk, const risk_account_t *acc, const instrument_t *ins, i128_t value);
i128_t risk_need_converted(const risk_t *risk, const risk_account_t *acc, i128_t need);
static inline i128_t risk_need_firm(const risk_t *risk, const risk_account_t *acc, i128_t need)
{
    const bool same = acc->cfg.ccy == risk->firm_ccy && acc->cfg.money_exp == risk->firm_exp;
    return need == 0 || same ? need : risk_need_converted(risk, acc, need);
}

/* risk_news_add: tell it with the next risk_news. */
void risk_news_add(risk_t *risk, const risk_news_t *news);

/* risk_fills_forget: what a strategy traded so far does not count for 276. */
void risk_fills_forget(risk_t *risk, uint32_t strategy_id);

/* risk_vol_restart: another window of 185: references are collected anew. */
void risk_vol_restart(risk_instrument_t *market);

/* What counts of a venue's budget now: a window after it was told the venue has forgotten it. */
static inline int64_t risk_budget_used(const risk_venue_t *venue, now_t now)
{
    return now.mono_ns - venue->budget_mono_ns < venue->budget_w_ns ? venue->budget_used + venue->budget_sent : 0;
}
/* risk_budget_sent: one more request to the venue passed. */
static inline void risk_budget_sent(risk_venue_t *venue, now_t now)
{
    if (now.mono_ns - venue->budget_mono_ns >= venue->budget_w_ns) { /* the venue has forgotten what was before */
        venue->budget_mono_ns = now.mono_ns;
        venue->budget_used    = 0;
        venue->budget_sent    = 0;
    }
    venue->budget_sent++;
}

static inline int64_t risk_sum_capped(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}
/* risk_otr_sent: one more request passed, with its quantity (275). */
static inline void risk_otr_sent(risk_flow_t *flow, int64_t qty)
{
    flow->otr_orders++;
    flow->otr_qty = risk_sum_capped(flow->otr_qty, qty);
}

/* Where the first verdict on an id is kept, until another id comes to the same place: those of one origin come one after
 * the other. */
static inline risk_verdict_t *risk_verdict_at(const risk_t *risk, uint64_t cl_ord_id)
{
    const uint64_t place = cl_ord_id_seq(cl_ord_id) + cl_ord_id_origin(cl_ord_id) * 0x9e3779b1ULL;
    return (risk_verdict_t *)risk_at(risk, risk->verdicts_off) + (place & risk->verdict_mask);
}

/* L and K; they fit while ROW_BROKEN is not set. */
static inline int64_t row_long(const risk_row_t *row)
{
    return row->pos + row->buy_open;
}
static inline int64_t row_short(const risk_row_t *row)
{
    return row->sell_open - row->pos;
}

/* The value of an instrument in gross: the worse of its two worst cases. */
static inline int64_t gross_of(int64_t value_long, int64_t value_short)
{
    return max_i64(max_i64(value_long, -value_long), max_i64(value_short, -value_short));
}

/* Margin of the value of an instrument, rounded up. */
static inline int64_t risk_need_of(const risk_instrument_t *market, int64_t gross)
{
    int64_t scaled;
    if (!__builtin_mul_overflow(gross, market->limits.margin_bp, &scaled) && scaled <= INT64_MAX - BP) {
        return (scaled + BP - 1) / BP;
    }
    const i128_t need = (mul_i64(gross, market->limits.margin_bp) + BP - 1) / BP;
    return need > INT64_MAX ? INT64_MAX : (int64_t)need;
}

/* risk_row_value: new values of a row, in home money within +-INT64_MAX, and with them the sums of account, tenant and
 * firm. need: risk_need_of what is worth more. */
static inline void risk_row_value(risk_t *risk, risk_account_t *acc, risk_row_t *row, int64_t value_long,
                                  int64_t value_short, int64_t need)
{
    acc->gross += gross_of(value_long, value_short) - (i128_t)gross_of(row->value_long, row->value_short);
    acc->net_long += (i128_t)value_long - row->value_long;
    acc->net_short += (i128_t)value_short - row->value_short;
    acc->need += (i128_t)need - row->need;
    row->value_long   = value_long;
    row->value_short  = value_short;
    row->need         = need;
    const i128_t firm = risk_need_firm(risk, acc, acc->need);
    const i128_t more = firm - acc->need_firm;
    risk_tenant(risk, acc->cfg.tenant_id)->need += more;
    risk->need += more;
    acc->need_firm = firm;
}

/* risk_row_revalue: the same from what the row holds, at its mark. */
void risk_row_revalue(risk_t *risk, const instrument_t *ins, risk_account_t *acc, risk_row_t *row);

typedef struct risk_move { /* one order's exposure, in every row that has it */
    uint32_t            account_id;
    uint32_t            strategy_id; /* one that does not exist has no row */
    const order_part_t *before;
    const order_part_t *after;
    i128_t              value; /* by how much the open value changes, settlement money */
} risk_move_t;

/* pos, buy_open and sell_open of a row change together. When a sum, L or K leaves 63 bits the row is closed for good:
 * nothing that it says could be trusted. */
static inline void risk_row_add(risk_row_t *row, int64_t pos, int64_t buy_open, int64_t sell_open)
{
    int64_t p, b, s, worst;
    bool    wide = __builtin_add_overflow(row->pos, pos, &p);
    wide |= __builtin_add_overflow(row->buy_open, buy_open, &b);
    wide |= __builtin_add_overflow(row->sell_open, sell_open, &s);
    wide |= __builtin_add_overflow(p, b, &worst);
    wide |= __builtin_sub_overflow(s, p, &worst);
    if (wide || (row->flags & ROW_BROKEN)) {
        row->flags |= ROW_BROKEN;
        return;
    }
    row->pos       = p;
    row->buy_open  = b;
    row->sell_open = s;
}

/* The change of one order's part; quantities are >= 0, so differences fit. */
static inline void risk_row_part(risk_row_t *row, const order_part_t *before, const order_part_t *after)
{
    const int64_t buy  = (after->side == SIDE_BUY ? after->qty : 0) - (before->side == SIDE_BUY ? before->qty : 0);
    const int64_t sell = (after->side == SIDE_SELL ? after->qty : 0) - (before->side == SIDE_SELL ? before->qty : 0);
    risk_row_add(row, 0, buy, sell);
    if ((before->position_effect | after->position_effect) & POSITION_EFFECT_CLOSE && !(row->flags & ROW_BROKEN)) {
        row->close_buy_open += buy;
        row->close_sell_open += sell;
    }
    row->open_orders += (uint32_t)after->counts - before->counts;
}

/* What open orders are worth in home money, in the row and in the account's sums. */
static inline void risk_open_revalue(const risk_t *risk, const instrument_t *ins, risk_account_t *acc, risk_row_t *row)
{
    const i128_t open = risk_home_sum(risk, acc, ins, row->open_value);
    const i128_t buy  = risk_home_sum(risk, acc, ins, row->buy_value);
    acc->open_value += open - row->open_home;
    acc->buy_value += buy - row->buy_home;
    row->open_home = open;
    row->buy_home  = buy;
}

/* The account has something of the instrument, or has it no more: a mark walks those that have. */
static inline void risk_holder_note(const risk_t *risk, uint32_t account_id, uint32_t instrument_id,
                                    const risk_row_t *row)
{
    uint64_t      *word = risk_holders(risk, instrument_id) + account_id / 64;
    const uint64_t bit  = 1ULL << (account_id & 63);
    const bool     has  = (row->pos | row->buy_open | row->sell_open) != 0; /* a closed row stays as large as it was */
    *word               = has ? *word | bit : *word & ~bit;
}

/* risk_moved: exposure of one order from before to after in the rows of account, strategy (NULL = none) and tenant, and
 * the holders of the instrument. risk_row_move: likewise, and finds the rows itself. */
static inline void risk_moved(risk_t *risk, const instrument_t *ins, risk_account_t *acc, risk_row_t *row,
                              risk_row_t *strategy_row, const risk_move_t *move)
{
    const uint32_t id = ins->def.instrument_id;
    risk_row_part(row, move->before, move->after);
    risk_row_part(risk_tenant_row(risk, acc->cfg.tenant_id, id), move->before, move->after);
    if (strategy_row) {
        risk_row_part(strategy_row, move->before, move->after);
    }
    row->open_value += move->value;
    if (ins->def.kind == INSTRUMENT_SPOT && (move->before->side | move->after->side) == SIDE_BUY) {
        row->buy_value += move->value;
        risk_open_revalue(risk, ins, acc, row);
    } else if (risk_is_home(acc, ins)) { /* nearly always, and nothing is converted */
        row->open_home += move->value;
        acc->open_value += move->value;
    } else {
        risk_open_revalue(risk, ins, acc, row);
    }
    acc->open_orders += (int64_t)move->after->counts - move->before->counts;
    risk_holder_note(risk, move->account_id, id, row);
}
void risk_row_move(risk_t *risk, const instrument_t *ins, const risk_move_t *move);

/* risk_part_value: notional of a part at its worse price, in settlement money. false: it does not fit, *out =
 * INT64_MAX. */
bool risk_part_value(const instrument_t *ins, const order_part_t *part, int64_t *out);

typedef struct risk_ref { /* the reference price of section 2, doubled so that a mid is whole */
    bool    known;        /* a fresh one */
    bool    book_fresh;
    bool    last_fresh;
    bool    by_close; /* it is the previous close */
    int64_t book_age_ns;
    int64_t last_age_ns;
    i128_t  px2;
} risk_ref_t;

/* risk_ref_find: md may be NULL. A book that is crossed is no reference, nor a reason to look further than the last trade.
 */
static inline risk_ref_t risk_ref_find(const instrument_t *ins, const risk_md_t *md, const risk_limits_t *limits,
                                       now_t now)
{
    risk_ref_t ref = {0};
    if (md == NULL) {
        return ref;
    }
    ref.book_age_ns = now.mono_ns - md->book_mono_ns;
    ref.last_age_ns = now.mono_ns - md->last_mono_ns;
    ref.book_fresh  = md->has_bid && md->has_ask && ref.book_age_ns <= limits->max_md_age_ns;
    ref.last_fresh  = md->has_last && ref.last_age_ns <= limits->max_md_age_ns;
    if (ref.book_fresh && md->bid_px < md->ask_px && (md->bid_px > 0 || ins->def.allow_negative)) {
        ref.known = true;
        ref.px2   = (i128_t)md->bid_px + md->ask_px;
    } else if (ref.last_fresh && (md->last_px > 0 || ins->def.allow_negative)) {
        ref.known = true;
        ref.px2   = 2 * (i128_t)md->last_px;
    } else if (limits->use_prev_close && md->has_prev_close && (md->prev_close > 0 || ins->def.allow_negative)) {
        ref.known    = true;
        ref.by_close = true;
        ref.px2      = 2 * (i128_t)md->prev_close;
    }
    return ref;
}

/* risk_ref_px: half of px2 as a price, rounded to the side on which it is worth more: away from zero, but for an inverse
 * contract towards it. */
static inline int64_t risk_ref_px(const instrument_t *ins, i128_t px2)
{
    const bool away = ins->def.kind != INSTRUMENT_INVERSE;
    return px2 >= 0 ? (int64_t)((px2 + away) >> 1) : -(int64_t)((-px2 + away) >> 1);
}
