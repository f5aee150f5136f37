/* gate: one check in the making. What the stages of the chain share, and the chain itself.
 *
 *   gate_validity.h  A, B   names, figures, rights
 *   gate_state.h     C      kill, session, reduce-only, links, limits that are missing
 *   gate_market.h    D E F  reference price, collars, size
 *   gate_rates.h     G H    windows, budgets, duplicates, own resting orders
 *   gate_exposure.h  I      positions, sums of money, credit
 *   gate_quick.h     what plainly passes, without a word
 *   risk_check.c     the chain and the reservation;  risk_probe.c  the question
 *
 * A stage returns the code and has then written scope, observed and limit into the verdict; it writes nothing else but
 * the gate, so risk_probe runs the same chain to ask. The stages are headers with one includer, so that the chain is
 * one function whose gate lives in registers.
 *
 * Passing   is what must be quick. State that is rare (kills, latches, links, missing limits) lies in words that are
 *           compared as a whole; only when one is not what it should be are its parts looked at, in the order of the
 *           sheet. What a reference price bounds is kept with the instrument (risk_bounds_t) until price or limits
 *           change. Products are formed in 64 bits where they fit, else in 128: never is a decision rounded. */
#pragma once

#include <assert.h>

#include "core/risk/risk.h"
#include "core/risk/risk_private.h"

typedef struct rate_scope { /* the windows of one scope that the request touches */
    risk_rate_t *rate;
    int64_t     *times; /* RATE_RINGS rings */
    scope_t      scope_type;
    uint32_t     scope_id;
} rate_scope_t;

typedef struct money {  /* of the account, with the request in place */
    int64_t value_long; /* L and K of the instrument at the reference price, home money */
    int64_t value_short;
    int64_t gross_own; /* of the instrument alone */
    int64_t need_own;  /* its margin */
    bool    raises;    /* max(|L|, |K|): 223 and 225 stop no other order */
    i128_t  gross;
    i128_t  net;  /* on the side of the request */
    i128_t  need; /* margin of all */
} money_t;

typedef struct gate {          /* one check; NULL = does not exist */
    const risk_t        *risk; /* the chain changes nothing there; what passes is reserved through the pointers below */
    const risk_in_t     *in;
    risk_out_t          *out;
    const order_req_t   *req;
    const instrument_t  *ins;
    risk_account_t      *acc;
    risk_strategy_t     *strategy;
    risk_venue_t        *venue;
    risk_instrument_t   *market;
    risk_row_t          *row;
    risk_row_t          *strategy_row;
    risk_row_t          *tenant_row;
    risk_mode_t          mode;
    bool                 buy;
    bool                 amend;
    bool                 asking;  /* risk_probe: not a byte is written */
    bool                 seen;    /* the id, before this request */
    bool                 repeats; /* may be a duplicate (277): not while a smaller quantity is looked for */
    bool                 counted; /* in the windows of 271 and 272 already */
    bool                 sized;   /* check_figures came to its end but the age: what is above and below is there */
    uint8_t              effect;  /* position_effect_t, of a REPLACE its order's */
    bool                 home;    /* settles in the account's currency and scale */
    bool                 window_read;
    bool                 px_known; /* px is set: always for limit orders, for market orders with a reference */
    int64_t              px;       /* limit to send */
    int64_t              px_value; /* Pw of section 6 */
    int64_t              value_px; /* notional(qty) at px, the instrument's money */
    int64_t              value;    /* at the worse of px and px_value, home money */
    int64_t              qty;      /* that can still fill: all of a NEW, new leaves of a REPLACE */
    int64_t              long_now; /* L and K before and, with this request, after */
    int64_t              short_now;
    int64_t              long_then;
    int64_t              short_then;
    order_part_t         before; /* the order's own part: reserved so far, and if this passes */
    order_part_t         after;
    int64_t              value_before; /* of them, the instrument's money */
    int64_t              value_after;
    i128_t               open_value; /* of the account with this request in place, home money */
    bool                 sane;       /* the book is fresh and in order: it gives the reference */
    uint8_t              dup_slot;   /* of acc->dup_ns */
    risk_ref_t           ref;
    int64_t              ref_px; /* rounded to where it is worth more */
    const risk_bounds_t *bounds; /* of ref, when that is known */
    risk_bounds_t        made;   /* where they are not kept with the instrument */
    int64_t              unit;   /* value of 1 * 1, when that is a whole number; 0 = it is not as simple */
    money_t              money;
    rate_scope_t         scopes[3];
    int                  scope_count;
    uint64_t             window_tail; /* of values (273), as far as check_value_window has looked */
    i128_t               window_sum;
    uint32_t             soft_rates; /* bit: test * 3 + scope: passes, and reaches its soft limit */
} gate_t;

/* gate_begin: a gate for one request; sets the verdict's names. gate_chain: the stages in order; the code. gate_money:
 * 223 to 225 and 229 look at it; false = a value does not fit. gate_scopes: strategy, account, venue: the order in which
 * they are tested; how many there are. gate_rate_reached: are there n passed events in (t - w, t]? gate_values: the
 * account's ring of 273. gate_*_then: L (of a sell K) with the request in place; gate_open_value: likewise. */
void          gate_begin(gate_t *g, const risk_t *risk, const risk_in_t *in, risk_out_t *out);
uint16_t      gate_chain(gate_t *g);
bool          gate_money(gate_t *g);
int           gate_scopes(const gate_t *g, rate_scope_t out[3]);
bool          gate_rate_reached(const gate_t *g, const rate_scope_t *scope, risk_rate_kind_t kind, int64_t n);
risk_value_t *gate_values(const gate_t *g);
i128_t        gate_strategy_then(const gate_t *g);
i128_t        gate_tenant_then(const gate_t *g);
i128_t        gate_open_value(const gate_t *g);
i128_t        gate_buy_value(const gate_t *g);

static inline int64_t clamp_i64(i128_t v)
{
    return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

static inline int64_t abs_i64(int64_t v)
{
    return v < 0 ? -v : v;
}

static inline i128_t abs_i128(i128_t v)
{
    return v < 0 ? -v : v;
}
