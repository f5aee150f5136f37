/* risk_private: the arena of the gate, shared by risk.c (set-up, control, exposure, loss) and risk_check.c (the chain).
 *
 *   header | tenants | accounts | strategies | instruments | venues | rows account x instrument | rows strategy x
 *   instrument | pass times of A, S, V x orders, cancels | passed orders of A | passed values of A
 *
 * Every struct is without padding: the arena is hashed as bytes. */
#pragma once

#include "core/risk/risk.h"
#include "core/types/ids.h"

#define RISK_MAGIC 0x31304b5349524857ULL /* "WHRISK01" */
#define BP 10000                         /* 100 % */
#define RISK_SOFT_GATE_NS NS_PER_S

typedef enum risk_rate_kind { RATE_ORDERS, RATE_MESSAGES, RATE_CANCELS, RATE_KINDS } risk_rate_kind_t;
enum { RATE_RINGS = 2 }; /* pass times of orders, which are those of messages too; and of cancels */

typedef struct risk_rate {
    int64_t  n; /* at most n passed events in (t - w_ns, t] */
    int64_t  w_ns;
    int64_t  soft_n; /* from this count on, a soft event */
    int64_t  soft_ns;
    uint64_t passed; /* ever: free-running head of the ring of pass times */
} risk_rate_t;

enum { ROW_LIMITS = 1, ROW_DENIED = 2, ROW_BROKEN = 4 }; /* risk_row_t.flags */
enum { ROW_SOFT_LONG, ROW_SOFT_SHORT, ROW_SOFT_ORDERS, ROW_SOFTS };

typedef struct risk_row { /* account x instrument, strategy x instrument (there without values and orders) */
    int64_t  pos;
    int64_t  buy_open;
    int64_t  sell_open;
    int64_t  max_long;
    int64_t  max_short;
    int64_t  max_qty;
    int64_t  max_open_orders;
    uint32_t open_orders;
    uint32_t flags;

    i128_t  open_value;
    int64_t mark_px;     /* price of the values below */
    int64_t value_long;  /* L at mark_px, signed */
    int64_t value_short; /* K likewise */
    int64_t soft_ns[ROW_SOFTS];
} risk_row_t;

enum {
    ACCOUNT_SOFT_GROSS,
    ACCOUNT_SOFT_NET_LONG,
    ACCOUNT_SOFT_NET_SHORT,
    ACCOUNT_SOFT_ORDERS,
    ACCOUNT_SOFT_OPEN_VALUE,
    ACCOUNT_SOFT_RATE_VALUE,
    ACCOUNT_SOFTS
};

typedef struct risk_account {
    uint8_t            exists;
    uint8_t            has_limits;
    uint8_t            killed;
    uint8_t            reduce_only;
    uint8_t            recovering;
    uint8_t            unreconciled;
    uint16_t           latched;    /* 0 or the code of the loss */
    uint64_t           dup_head;   /* orders passed ever: head of the ring for 277 */
    uint64_t           value_head; /* ring for 273: entries value_tail .. value_head - 1 are in the window */
    uint64_t           value_tail;
    i128_t             value_sum;
    i128_t             gross;
    i128_t             net_long;
    i128_t             net_short;
    i128_t             open_value;
    int64_t            open_orders;
    risk_account_cfg_t cfg;
    risk_limits_t      limits;
    risk_rate_t        rate[RATE_KINDS];
    int64_t            soft_ns[ACCOUNT_SOFTS];
    int64_t            equity_peak;
    int64_t            day;     /* UTC day of equity_peak, plus 1; 0 = none yet */
    int64_t            stop_ns; /* when latched, and the loss then */
    int64_t            stop_loss;
    int64_t            warn_ns;
} risk_account_t;

typedef struct risk_strategy {
    uint32_t    tenant_id; /* 0 = does not exist */
    uint32_t    approved_version;
    uint32_t    killed;
    uint32_t    has_limits;
    risk_rate_t rate[RATE_KINDS];
} risk_strategy_t;

typedef struct risk_venue {
    uint8_t     killed;
    uint8_t     has_limits;
    uint8_t     link_up;
    uint8_t     ring_full;
    uint32_t    session; /* session_t */
    risk_rate_t rate[RATE_KINDS];
} risk_venue_t;

typedef struct risk_instrument {
    uint8_t       has_limits;
    uint8_t       killed;
    uint8_t       restricted;
    uint8_t       session; /* session_t */
    uint8_t       reserved[4];
    int64_t       mark_px; /* newest of risk_mark and risk_check; 0 = none yet */
    risk_limits_t limits;
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

struct risk {
    uint64_t      magic;
    risk_cfg_t    cfg;
    risk_counts_t counts;
    uint32_t      limit_version;
    uint8_t       killed;
    uint8_t       journal_ok;
    uint8_t       clock_ok;
    uint8_t       reserved;
    uint32_t      window_mask; /* entries of a ring, less one */
    uint32_t      value_mask;
    uint64_t      seen[CL_ORD_ID_ORIGINS]; /* by origin: epoch << 44 | sequence of the newest id */
    uint64_t      tenants_off;
    uint64_t      accounts_off;
    uint64_t      strategies_off;
    uint64_t      instruments_off;
    uint64_t      venues_off;
    uint64_t      rows_off;
    uint64_t      strategy_rows_off;
    uint64_t      times_off;
    uint64_t      passed_off;
    uint64_t      values_off;
    uint64_t      size_bytes;
};

_Static_assert(sizeof(risk_rate_t) == 40, "no padding");
_Static_assert(sizeof(risk_row_t) == 128, "two lines, no padding");
_Static_assert(sizeof(risk_account_t) == 560, "no padding");
_Static_assert(sizeof(risk_strategy_t) == 136, "no padding");
_Static_assert(sizeof(risk_venue_t) == 128, "no padding");
_Static_assert(sizeof(risk_instrument_t) == 224, "no padding");
_Static_assert(sizeof(risk_passed_t) == 32, "no padding");
_Static_assert(sizeof(struct risk) == 2240, "no padding");

static inline void *risk_at(const risk_t *risk, uint64_t off)
{
    return (void *)((uintptr_t)risk + off);
}

static inline uint8_t *risk_tenant_killed(const risk_t *risk, uint32_t id)
{
    return (uint8_t *)risk_at(risk, risk->tenants_off) + id;
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

/* risk_row_value: new values of a row, and with it the account's sums. Values lie within +-INT64_MAX. */
static inline void risk_row_value(risk_account_t *acc, risk_row_t *row, int64_t value_long, int64_t value_short)
{
    acc->gross += gross_of(value_long, value_short) - (i128_t)gross_of(row->value_long, row->value_short);
    acc->net_long += (i128_t)value_long - row->value_long;
    acc->net_short += (i128_t)value_short - row->value_short;
    row->value_long  = value_long;
    row->value_short = value_short;
}

/* risk_row_revalue: the same from what the row holds, at its mark. */
void risk_row_revalue(const instrument_t *ins, risk_account_t *acc, risk_row_t *row);

/* risk_row_move: exposure of one order from before to after, in the account's row and (NULL = none) the strategy's.
 * value: by how much the open value changes, risk_part_value(after) - risk_part_value(before). */
void risk_row_move(risk_account_t *acc, risk_row_t *row, risk_row_t *strategy_row, const order_part_t *before,
                   const order_part_t *after, i128_t value);

/* risk_part_value: notional of a part at its worse price. false: it does not fit, *out = INT64_MAX. */
bool risk_part_value(const instrument_t *ins, const order_part_t *part, int64_t *out);

typedef struct risk_ref { /* the reference price of section 2, doubled so that a mid is whole */
    bool    known;        /* a fresh one */
    bool    book_fresh;
    bool    last_fresh;
    int64_t book_age_ns;
    int64_t last_age_ns;
    i128_t  px2;
} risk_ref_t;

/* risk_ref_find: md may be NULL. */
risk_ref_t risk_ref_find(const instrument_t *ins, const risk_md_t *md, int64_t max_age_ns, now_t now);

/* risk_ref_px: half of px2 as a price, rounded to the side on which it is worth more. */
int64_t risk_ref_px(const instrument_t *ins, i128_t px2);
