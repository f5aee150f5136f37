/* portfolio: positions, cash per (account, currency), what strategies made of it, and the profit and loss between them.
 *
 *   fill, bust ──▶ ledger     cash   moves by fills, fees, funding, deposits; it knows nothing of cost or marks
 *       │                                                             equity = cash + sum(value(pos, mark))
 *       └────────▶ position   qty, cost (average or lots), realised          =            (every event, to the unit)
 *   mark ────────▶            unrealised = value(pos, mark) - cost    equity = initial + realised + unrealised
 *   fee, funding ▶            fees, funding                                    - fees + funding
 *   rate ────────▶ home       each figure of each currency at the rate of now, in the account's home currency
 *
 * The two sides are kept by separate code and share only the value formula of core/ref/instrument.h, so that their
 * equality (portfolio_equity_cash_side == portfolio_equity_pnl_side) is evidence and not a tautology.
 *
 * Money    int64 in 10^-money_exp of the settlement currency. A fill moves cash by value(-qty signed), in nano
 *          money rounded against us; what is finer than money is withheld and carried per position, so cash is always
 *          floor(sum of the nano flows): it never drifts from them by a whole unit. The same formula serves
 *          spot, linear and inverse (whose value is negative and rises with px).
 * Cost     average: signed like the value; opening adds what was paid; closing takes out the proportional part (rounded
 *          up: against realised; the remainder stays in cost), realised = proceeds - part.
 *          FIFO (ACCOUNT_FIFO): each opening fill is a lot; closing takes the oldest lots, whole ones at exactly what
 *          they cost, the last one in part as above. Lots lie in one pool of lots_max; the newest lot of a position
 *          needs
 *          no place in it. When the pool is full, the two oldest lots of that position become one (their average); when
 *          it has no two there, its newest two. Quantity and cost are the same, realised comes earlier or later.
 *          A fill that crosses zero closes the old position and opens the new one at px. A flat position costs 0.
 * Netting  one position for each (account, instrument). Hedging (ACCOUNT_HEDGING): a long and a short one side by side.
 *          position_effect OPEN: a buy raises the long one, a sell the short one. CLOSE: a buy lowers the short one, a
 *          sell the long one. NONE: closes the other side first. What is left when a side is flat opens the fill's own
 *          side, also of a CLOSE: a fill is a fact. The fee is with the part that is booked first.
 * Strategy a fill that names a strategy moves the row (account, strategy, instrument, side) as well: same quantity,
 * same
 *          cash flow, own cost; no cash of its own. It is marked at the price that the account's position is marked at,
 *          so that, when every fill names one, realised + unrealised - fees of the strategies sum to the account's,
 *          less than a unit of money a row apart (each row rounds by itself). Funding and fees in other currencies are
 *          the account's alone.
 * Bust     (ExecType H) books the opposite quantity at the same price, gives back exactly the cash that the fill moved,
 *          its fee, and what was booked for the execution by schedule or MISC_FEE. Quantity, cash, fees and equity
 *          return
 *          to what they would be without the fill, also after a day roll; cost is not rewound, so realised and cost may
 *          differ by one amount of opposite signs. A correction (G) is a bust and a fill. In a hedging account the
 *          bust lowers the side that the fill raised, and raises the one that it lowered.
 * Marks    longs at bid, shorts at ask. Until the first mark the price of the first fill stands in. A stale mark keeps
 *          the last one for equity, and in pnl_day the worse of last mark and cost (RISK.md 10).
 * Day      portfolio_day_start sets the base of "today". pnl_day = realised today + unrealised - fees today; drawdown =
 *          largest equity since then - equity; equity without the haircut of stale marks, because a feed that is silent
 *          for a second is no loss.
 * Currency accounts hold up to PORTFOLIO_CCYS_MAX; the first one opened is the home currency. A fill, fee or
 * movement in
 *          one that is not open opens it at 0. Figures of two currencies are added in portfolio_home only: each at
 *          the stamped rate of now, rounded down (running sums are, so that the terms of equity sum to equity to the
 *          unit). Only the pair itself is used, or its inverse, 1 / rate without a rounding of its own; no third
 *          currency in between. A currency without a rate is in no sum and `missing` says so; one whose figures are
 *          all 0
 *          needs none. A rate whose ts_event_ns is older than the one known is ignored.
 * Rates    FX_RATE with a rate sets it. With source an instrument and rate 0: from now on the mid of that instrument's
 *          marks is the rate, and messages with a rate for the pair are refused (ERR_STATE).
 * Hold     what an open order may still take out of the cash that purchases are paid from: of SPOT max(0, -(value of its
 *          fills at px)), and of every kind the fee at the highest rates of the account's schedule; rounded up. It depends
 *          on nothing that changes while the order is open, so taking and giving back are equal. A derivative is not paid
 *          for, so its order holds no value: its margin is judged by risk, and is no hold. For the same reason purchases
 *          are measured by `settled` and not by `cash`, which a derivative's fill moves by its whole value.
 * Fees     EXEC_REPORT.fee is booked as it is. portfolio_fill_t.fee_unknown: the account's schedule says it: rate of
 *          maker or
 *          taker of the tier in force, at least min_fee; and tax of the side; both rounded up in the settlement money
 *          (whole won where money_exp is 0). The tier follows the value traded in the last 30 UTC days over all
 *          instruments, in the home currency (value that has no rate is not counted), before this fill. A schedule with
 *          a ccy of its own is paid in it, at the rate of now, rounded up; without a rate in the settlement currency.
 *          MISC_FEE is booked once for an (instrument, execution, kind); where a schedule's estimate of that kind is
 *          booked, the venue's figure replaces it. CASH_MOVE is booked once for an (account, ref). The newest facts_max
 *          of these are remembered; an older one that is told again would be booked again.
 *          CASH_FUNDING and CASH_INTEREST are funding; the rest changes what the account began with (initial), and
 *          the peaks
 *          of drawdown with it: what is brought or taken away is neither profit nor loss.
 *
 * Memory   one arena, the caller's, without pointers: its bytes are a snapshot. 4 bytes for each (account, instrument);
 *          a row of 144 for each position that was ever touched, of an account, a side or a strategy; each
 *          instrument has
 *          a list of the rows with an open position, and a mark walks that.
 * Threads  one: the engine thread.
 * Errors   ERR_ARG (ids, prices, scales), ERR_NOT_FOUND (account not open, instrument not defined), ERR_RANGE (a sum
 *          does not fit: quantities to int64, each total of an account to +-2^60), ERR_LIMIT. On any failure nothing is
 *          applied.
 * Limits   accounts_max, instruments_max as configured (4096, 65536; the product at most 2^22).
 * Source   RISK.md sections 2 and 10; DESIGN.md section 6; FIX 4.4 ExecType, MiscFees, PositionEffect. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ref/fee.h"
#include "core/ref/instrument.h"
#include "core/types/err.h"
#include "core/types/msg.h"
#include "core/types/num.h"

#define PORTFOLIO_CCYS_MAX 8u       /* of an account    */
#define PORTFOLIO_RATES_MAX 64u     /* pairs            */
#define PORTFOLIO_SCHEDULES_MAX 32u /* ids 1..          */
#define PORTFOLIO_POOL_MAX (1u << 24)
#define PORTFOLIO_HOME UINT32_MAX /* instead of a currency's index: the sum of all in the home currency */

typedef struct portfolio_cfg {
    uint32_t accounts_max;
    uint32_t instruments_max;
    uint32_t rows_max;  /* positions of accounts, sides and strategies; 0 = accounts x instruments */
    uint32_t lots_max;  /* of all FIFO positions; 0 = none: ACCOUNT_FIFO is refused                  */
    uint32_t facts_max; /* fees and movements remembered; 0 = 1024                                    */
    uint32_t reserved;
} portfolio_cfg_t;

typedef struct portfolio portfolio_t;

typedef struct portfolio_fill {
    uint32_t account_id;
    uint32_t instrument_id;
    uint32_t strategy_id;     /* 0 = none */
    uint8_t  side;            /* side_t */
    uint8_t  position_effect; /* position_effect_t: of hedging accounts */
    uint8_t  liquidity;       /* liquidity_t: NONE is charged as TAKER */
    uint8_t  fee_unknown;     /* 1: fee is 0 here, the account's schedule says it */
    int64_t  qty;             /* > 0 */
    int64_t  px;
    int64_t  fee;        /* money paid, negative = rebate */
    uint64_t exec_id_hi; /* of the execution; 0, 0: nothing was or will be told of it beside this */
    uint64_t exec_id_lo;
    int64_t  utc_ns; /* for the volume of tiers */
} portfolio_fill_t;

typedef struct portfolio_account { /* one currency of one account; money in 10^-money_exp */
    uint64_t ccy;
    int32_t  money_exp; /* -1 until something with a scale is known of ccy */
    uint32_t missing;   /* HOME only: currencies that are not in the sum for want of a rate */
    int64_t  initial;
    int64_t  cash;    /* what all fills, fees and movements left: a derivative moves its whole value, too */
    int64_t  settled; /* cash as it would be without the derivatives that are open: what a purchase may use */
    int64_t  hold;
    int64_t  realised;
    int64_t  unrealised; /* at the last marks */
    int64_t  fees;       /* paid    */
    int64_t  funding;    /* received */
    int64_t  equity;     /* initial + realised + unrealised - fees + funding */
    int64_t  realised_day;
    int64_t  fees_day;
    int64_t  pnl_day;
    int64_t  drawdown;  /* >= 0 */
    int64_t  fx_rate;   /* to the home currency, in 10^-fx_exp (of an inverse: rounded down); 0 = none is known */
    int64_t  fx_utc_ns; /* when it was told; of the home currency 0 */
    int32_t  fx_exp;
    uint32_t reserved;
} portfolio_account_t;

/* life cycle: footprint is 0 and a sentence for a cfg out of range; new formats mem (portfolio_align() aligned) without
 * joining, NULL and a sentence on failure; join gives the object in mem, NULL and a sentence when it is none. */
size_t       portfolio_align(void);
size_t       portfolio_footprint(const portfolio_cfg_t *cfg);
void        *portfolio_new(void *mem, const portfolio_cfg_t *cfg);
portfolio_t *portfolio_join(void *mem);

/* portfolio_account_define: open an account by its definition: home currency and scale, flags, fee schedule.
 * ERR_ARG id, currency, scale, flags, initial; the same again is ERR_OK, another one ERR_EXISTS; ERR_NOT_FOUND the
 * schedule is not complete; ERR_LIMIT
 * FIFO without lots. O(1).
 * portfolio_account_open: give an account a currency and the money it begins with; where it is not defined, the first
 * call makes ccy its home, and it nets at average cost. ERR_ARG, ERR_EXISTS, ERR_LIMIT. O(1). */
err_t portfolio_account_define(portfolio_t *p, const account_def_t *def);
err_t portfolio_account_open(portfolio_t *p, uint32_t account_id, uint64_t ccy, int64_t initial);

/* portfolio_define: take a copy of an instrument (its def.instrument_id is 1..instruments_max); before its first fill
 * or mark, and again when it is redefined. ERR_ARG: id, or money_exp other than is known of the same currency.
 * ERR_STATE: kind, currency, scale or multiplier changed after its first booking. ERR_LIMIT: one currency more than
 * there
 * is room for. O(accounts), cold. */
err_t portfolio_define(portfolio_t *p, const instrument_t *ins);

/* portfolio_fill, portfolio_bust: book an execution, undo one (same arguments; fees of schedule and MISC_FEEs are
 * found by
 * exec_id). O(1) but for the lots that it closes and the account's strategies in the instrument. */
err_t portfolio_fill(portfolio_t *p, const portfolio_fill_t *fill);
err_t portfolio_bust(portfolio_t *p, const portfolio_fill_t *fill);

/* portfolio_correct: was is undone and now is booked in its place; what schedule and MISC_FEEs charged stays.
 * On failure was stands again; where a total is so near its end that it does not fit any more, it is gone, and the caller
 * must close the account as with any fill that could not be booked. */
err_t portfolio_correct(portfolio_t *p, const portfolio_fill_t *was, const portfolio_fill_t *now);

/* portfolio_funding: money received (negative: paid) for a position, in the instrument's settlement currency. O(1). */
err_t portfolio_funding(portfolio_t *p, uint32_t account_id, uint32_t instrument_id, int64_t received);

/* portfolio_cash_move, portfolio_misc_fee: book one that a venue or a person told; *fresh = false: it was booked
 * before and
 * nothing changed. Amounts finer than the currency's scale are rounded against us. ERR_ARG: kind, scale, no ref or
 * execution,
 * funding of an instrument in another currency. ERR_LIMIT: no room for the currency. O(1). */
err_t portfolio_cash_move(portfolio_t *p, const cash_move_t *move, bool *fresh);
err_t portfolio_misc_fee(portfolio_t *p, const misc_fee_t *fee, bool *fresh);

/* portfolio_fee_schedule: one tier of a schedule, tier 0 first. Complete with its last tier, and from then on as it is:
 * the same again is ERR_OK, another one ERR_EXISTS. ERR_ARG: id, tier out of turn, rates beyond +-FEE_RATE_MAX, taxes
 * 0..FEE_RATE_MAX, from_value that does not rise (tier 0: 0), min_fee, tiers that differ in number or currency.
 * from_value: whole units of the account's home currency; min_fee: money of the settlement currency. */
err_t portfolio_fee_schedule(portfolio_t *p, const fee_schedule_t *tier);

/* portfolio_rate: see "Rates". ERR_ARG: currencies, rate, exponent, or an instrument that is not defined; ERR_STATE:
 * another
 * instrument is its source; ERR_LIMIT. portfolio_rate_follows: is the instrument the source of a rate? If so
 * portfolio_follow
 * takes its mark, and gives the rate; false: the mark is none above 0, and the last rate stays. O(accounts). */
err_t portfolio_rate(portfolio_t *p, const fx_rate_t *rate);
bool  portfolio_rate_follows(const portfolio_t *p, uint32_t instrument_id);
bool  portfolio_follow(portfolio_t *p, uint32_t instrument_id, int64_t utc_ns, fx_rate_t *out);

/* portfolio_rate_find: rate (or its inverse, rounded down to 12 digits) by which one unit of ccy is units of to_ccy.
 * false =
 * none is known, and *out is untouched. */
bool portfolio_rate_find(const portfolio_t *p, uint64_t ccy, uint64_t to_ccy, fx_rate_t *out);

/* portfolio_mark: new best bid and ask (the caller puts its reference price where a side is empty); the mark is fresh
 * again. O(open positions in it); O(1) when the prices are the same as before. portfolio_mark_stale: the book is not
 * LIVE:
 * see "Marks". Nothing happens when it was stale or never marked. */
err_t portfolio_mark(portfolio_t *p, uint32_t instrument_id, int64_t bid_px, int64_t ask_px);
err_t portfolio_mark_stale(portfolio_t *p, uint32_t instrument_id);

/* portfolio_prefetch: asks for what portfolio_mark will need of an instrument. */
void portfolio_prefetch(const portfolio_t *p, uint32_t instrument_id);

/* portfolio_holder: accounts with an open position in an instrument, one after the other; one that holds both sides
 * comes
 * twice. *cursor begins with 0 and is not touched between calls; 0 at the end. O(1). */
uint32_t portfolio_holder(const portfolio_t *p, uint32_t instrument_id, uint32_t *cursor);

/* portfolio_fee_rate: may fees of the account on the instrument be paid in the currency of its schedule? false: there is no
 * rate, and the settlement currency stands in for it. portfolio_on_margin: was it defined with ACCOUNT_MARGIN? O(rates). */
bool portfolio_fee_rate(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id);
bool portfolio_on_margin(const portfolio_t *p, uint32_t account_id);

/* portfolio_hold: what an order for qty at px holds, taken (true) or given back with the same figures (false). Ids
 * that are not
 * known hold nothing. O(1). */
void portfolio_hold(portfolio_t *p, uint32_t account_id, uint32_t instrument_id, side_t side, int64_t px, int64_t qty,
                    bool take);

/* portfolio_day_start: today begins now, for every currency of the account. ERR_NOT_FOUND. */
err_t portfolio_day_start(portfolio_t *p, uint32_t account_id);

/* portfolio_position: all of *out but event_seq, which is 0; of a hedging account both sides together. false (out
 * untouched): ids unknown or nothing ever booked. O(1).
 * portfolio_sub_position: row 0 .. portfolio_rows() - 1, in the order in which they came: a side of a hedging
 * account, or a
 * strategy's part; false: a position as a whole. O(1). */
bool     portfolio_position(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id, position_t *out);
uint32_t portfolio_rows(const portfolio_t *p);
bool     portfolio_sub_position(const portfolio_t *p, uint32_t row, sub_position_t *out);

/* portfolio_account: currency number index of an account (0 = home), or PORTFOLIO_HOME. false past the last, or account
 * unknown. O(1). portfolio_tenant: the accounts together, in ccy; missing counts accounts that have no rate to it, and
 * currencies that have none to the account's home. O(accounts). */
bool portfolio_account(const portfolio_t *p, uint32_t account_id, uint32_t index, portfolio_account_t *out);

/* portfolio_worth: what loss limits and funds look at, after each mark and fill: equity, profit and loss and missing are
 * those of PORTFOLIO_HOME, settled that of the home currency alone. false: account unknown. ~2 ns with one currency. */
typedef struct portfolio_worth {
    int64_t  equity;
    int64_t  pnl_day;
    int64_t  realised_day;
    int64_t  settled;
    uint32_t missing;
} portfolio_worth_t;
bool portfolio_worth(const portfolio_t *p, uint32_t account_id, portfolio_worth_t *out);
void portfolio_tenant(const portfolio_t *p, uint64_t ccy, portfolio_account_t *out);

/* portfolio_equity_cash_side, _pnl_side: equity of currency index of an account, or of PORTFOLIO_HOME, by the two
 * ways; *out
 * untouched when false. Cash side: O(instruments), cold: values every position again. Pnl side: O(1). */
bool portfolio_equity_cash_side(const portfolio_t *p, uint32_t account_id, uint32_t index, int64_t *out);
bool portfolio_equity_pnl_side(const portfolio_t *p, uint32_t account_id, uint32_t index, int64_t *out);

/* portfolio_hash: everything that a later answer depends on. O(footprint), cold. */
uint64_t portfolio_hash(uint64_t hash, const portfolio_t *p);
