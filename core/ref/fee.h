/* fee: what a venue takes (or gives back) for a fill, and the volume that decides the rate.
 *
 *      fill ──▶ |value| x rate of the tier in force + per_contract x quantity ──▶ floor of a fill ──▶ floor of an order
 *                          ▲                                                                            │
 *               volume before this fill, over the window  ◀── |value| added                             ▼ money
 *
 * Tiers    a tier is in force from a volume on; below the first, the base rates are. Volume is the sum of |value| of
 *          our own fills in this instrument, makers and takers alike, in its settlement currency, over
 *            rolling   today and the window_days - 1 UTC days before it, or
 *            month     the calendar month, UTC (window_days 0),
 *          up to and without the fill that is charged: a tier holds from the next fill on, at once.
 * Minimum  of a fill: never below min_fill. Of an order: its fees together are never below min_order, from its first
 *          fill
 *          on; what later fills cost is first set against what was charged so. A minimum of 0 is none (rebates stay
 *          what
 *          they are); else a rebate is raised to it, too.
 * Rounding against us: value x rate and per_contract x quantity are each rounded up in the money of the instrument,
 * fill by
 *          fill (a fee is never smaller, a rebate never larger than exact); volume is rounded down.
 * Wrong    venues count volume over all instruments of a member, in one currency, and change tiers once a day; what was
 *          traded before the recording began is not known here.
 * Units    rates 10^-8 of value (10000 = 1 basis point); tier volumes whole units of the settlement currency;
 *          per_contract
 *          and minima 10^-8 of it, per_contract for one whole unit of quantity (10^qty_exp).
 * Memory   plain structs without pointers or padding: bytes are state and may be hashed.  Threads: one. */
#pragma once

#include "core/ref/instrument.h"
#include "core/types/err.h"
#include "core/types/msg.h"

#define FEE_RATE_ONE 100000000LL /* rates are in 10^-8 of value: 10000 = 1 basis point */
#define FEE_RATE_MAX 10000000LL  /* 10 %, either sign */
#define FEE_TIERS_MAX 16u
#define FEE_DAYS_MAX 31u
#define FEE_MONEY_MAX 100000000000000LL /* per_contract, minima: a million of the currency */

typedef struct fee_tier {
    int64_t from_volume; /* whole units of the settlement currency, above 0, rising */
    int64_t maker_rate_e8;
    int64_t taker_rate_e8;
} fee_tier_t;

typedef struct fee_cfg {
    int64_t    maker_rate_e8; /* negative = rebate; below the first tier */
    int64_t    taker_rate_e8;
    int64_t    per_contract_e8; /* 0..FEE_MONEY_MAX, of money, for 10^qty_exp of quantity */
    int64_t    min_fill_e8;     /* likewise */
    int64_t    min_order_e8;
    uint32_t   window_days; /* 1..FEE_DAYS_MAX rolling UTC days; 0 = calendar month */
    uint32_t   tier_count;  /* 0 = base rates for ever */
    fee_tier_t tiers[FEE_TIERS_MAX];
} fee_cfg_t;

typedef struct fee_window {       /* volume of the days that count */
    int64_t period;               /* UTC day since the epoch, or month since year 0, that was charged last */
    int64_t volume[FEE_DAYS_MAX]; /* money by day, at day % days; of the month at 0 */
} fee_window_t;

typedef struct fee { /* one instrument's */
    fee_cfg_t    cfg;
    fee_window_t window;
} fee_t;

typedef struct fee_order { /* one order's, zero when it opens; kept with it */
    int64_t sum;           /* fees of its fills, before the order's minimum */
    int64_t charged;
} fee_order_t;

/* fee_check: ERR_OK, or ERR_ARG with a sentence that names what is out of its limits. */
err_t fee_check(const fee_cfg_t *cfg);

/* fee_begin: no volume yet. cfg went through fee_check. */
void fee_begin(fee_t *fee, const fee_cfg_t *cfg);

/* fee_charge: the fee of one fill in money, negative = rebate; volume and *order move on. A sum beyond an int64 is
 * INT64_MAX (against us; no real trade comes near). utc_ns that goes back counts for the newest period. O(window). */
int64_t fee_charge(fee_t *fee, fee_order_t *order, const instrument_t *ins, liquidity_t liquidity, int64_t px,
                   int64_t qty, int64_t utc_ns);

/* The parts of it, for whoever keeps volume and tiers elsewhere (core/portfolio: an account's schedule).
 * fee_window_begin: no volume yet. fee_window_move: to the time of a fill; what fell out is forgotten.
 * fee_window_add: money, a
 * day's beyond an int64 is INT64_MAX. fee_window_sum: of what counts. days as window_days.
 * fee_of_value: value x rate, rounded up; negative = rebate. What does not fit is INT64_MAX, a rebate then 0. */
void    fee_window_begin(fee_window_t *window);
void    fee_window_move(fee_window_t *window, uint32_t days, int64_t utc_ns);
void    fee_window_add(fee_window_t *window, uint32_t days, int64_t money);
i128_t  fee_window_sum(const fee_window_t *window);
int64_t fee_of_value(const instrument_t *ins, int64_t px, int64_t qty, int64_t rate_e8);

/* fee_volume: money in the window as it stands at the last charge; INT64_MAX when it is more. */
int64_t fee_volume(const fee_t *fee);
