/* portfolio: positions per (account, instrument), cash per (account, currency), and the profit and loss between them.
 *
 *   fill, bust ──▶ ledger     cash   moves by fills, fees, funding; it knows nothing of cost or marks
 *       │                                                             equity = cash + sum(value(pos, mark))
 *       └────────▶ position   qty, cost (average), realised                  =            (every event, to the unit)
 *   mark ────────▶            unrealised = value(pos, mark) - cost    equity = initial + realised + unrealised
 *   fee, funding ▶            fees, funding                                    - fees + funding
 *
 * The two sides are kept by separate code and share only the value formula of core/ref/instrument.h, so that their
 * equality (portfolio_equity_cash_side == portfolio_equity_pnl_side) is evidence and not a tautology.
 *
 * Money    int64 in 10^-money_exp of the settlement currency. A fill moves cash by value(-qty signed, px), in nano
 *          money rounded against us; what is finer than money is withheld and carried per position, so cash is always
 *          floor(sum of the nano flows): it never drifts from them by a whole unit. The same formula serves
 *          spot, linear and inverse (whose value is negative and rises with px).
 * Cost     average cost, signed like the value: opening adds what was paid; closing takes out the proportional part
 *          (rounded up: against realised; the remainder stays in cost), realised = proceeds - part. A fill that crosses
 *          zero closes the old position and opens the new one at px. A flat position costs 0.
 * Bust     (ExecType H) books the opposite quantity at the same price, gives back exactly the cash that the fill moved
 *          and its fee. Quantity, cash, fees and equity return to what they would be without the fill; average cost is
 *          not rewound, so realised and cost may differ by one amount of opposite signs.
 * Marks    longs at bid, shorts at ask. Until the first mark the price of the first fill stands in. A stale mark keeps
 *          the last one for equity, and in pnl_day the worse of last mark and cost (RISK.md 10).
 * Day      portfolio_day_start sets the base of "today". pnl_day = realised today + unrealised - fees today; drawdown =
 *          largest equity since then - equity; equity without the haircut of stale marks, because a feed that is silent
 *          for a second is no loss.
 * Currency accounts hold up to PORTFOLIO_CCYS_MAX; the first one opened is the home currency. Nothing is converted:
 *          figures of two currencies are never added. A fill that settles in one that is not open opens it at 0.
 *
 * Memory   one arena, the caller's, without pointers: its bytes are a snapshot. Rows are dense and instrument-major, so
 *          a mark walks one contiguous run.
 * Threads  one: the engine thread.
 * Errors   ERR_ARG (ids, prices, scales), ERR_NOT_FOUND (account not open, instrument not defined), ERR_RANGE (a sum
 *          does not fit: quantities to int64, each total of an account to +-2^60), ERR_LIMIT. On any failure nothing is
 *          applied.
 * Limits   accounts_max, instruments_max as configured (4096, 65536; the product at most 2^22).
 * Source   RISK.md sections 2 and 10; DESIGN.md section 6. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ref/instrument.h"
#include "core/types/err.h"
#include "core/types/msg.h"
#include "core/types/num.h"

#define PORTFOLIO_CCYS_MAX 8u

typedef struct portfolio_cfg {
    uint32_t accounts_max;
    uint32_t instruments_max;
} portfolio_cfg_t;

typedef struct portfolio portfolio_t;

typedef struct portfolio_fill {
    uint32_t account_id;
    uint32_t instrument_id;
    uint8_t  side; /* side_t */
    uint8_t  reserved[7];
    int64_t  qty; /* > 0 */
    int64_t  px;
    int64_t  fee; /* money paid, negative = rebate */
} portfolio_fill_t;

typedef struct portfolio_account { /* one currency of one account; money in 10^-money_exp */
    uint64_t ccy;
    int32_t  money_exp; /* -1 until an instrument that settles in ccy is defined */
    uint32_t reserved;
    int64_t  initial;
    int64_t  cash;
    int64_t  realised;
    int64_t  unrealised; /* at the last marks */
    int64_t  fees;       /* paid    */
    int64_t  funding;    /* received */
    int64_t  equity;     /* initial + realised + unrealised - fees + funding */
    int64_t  realised_day;
    int64_t  fees_day;
    int64_t  pnl_day;
    int64_t  drawdown; /* >= 0 */
} portfolio_account_t;

/* life cycle: footprint is 0 and a sentence for a cfg out of range; new formats mem (portfolio_align() aligned) without
 * joining, NULL and a sentence on failure; join gives the object in mem, NULL and a sentence when it is none. */
size_t       portfolio_align(void);
size_t       portfolio_footprint(const portfolio_cfg_t *cfg);
void        *portfolio_new(void *mem, const portfolio_cfg_t *cfg);
portfolio_t *portfolio_join(void *mem);

/* portfolio_account_open: give an account a currency and the money it begins with; the first call makes ccy its home.
 * ERR_ARG account_id outside 1..accounts_max, ccy 0 or initial beyond +-2^60; ERR_EXISTS; ERR_LIMIT. O(1). */
err_t portfolio_account_open(portfolio_t *p, uint32_t account_id, uint64_t ccy, int64_t initial);

/* portfolio_define: take a copy of an instrument (its def.instrument_id is 1..instruments_max); before its first fill
 * or mark, and again when it is redefined. ERR_ARG: id, or money_exp other than that of another instrument in the same
 * currency. ERR_STATE: kind, currency, scale or multiplier changed after its first booking. O(instruments), cold. */
err_t portfolio_define(portfolio_t *p, const instrument_t *ins);

/* portfolio_fill, portfolio_bust: book an execution, undo one (same arguments). O(1), ~100 ns. */
err_t portfolio_fill(portfolio_t *p, const portfolio_fill_t *fill);
err_t portfolio_bust(portfolio_t *p, const portfolio_fill_t *fill);

/* portfolio_funding: money received (negative: paid) for a position, in the instrument's settlement currency. O(1). */
err_t portfolio_funding(portfolio_t *p, uint32_t account_id, uint32_t instrument_id, int64_t received);

/* portfolio_mark: new best bid and ask (the caller puts its reference price where a side is empty); the mark is fresh
 * again. O(accounts); O(1) when the prices are the same as before. */
err_t portfolio_mark(portfolio_t *p, uint32_t instrument_id, int64_t bid_px, int64_t ask_px);

/* portfolio_mark_stale: the book is not LIVE: see "Marks". Nothing happens when it was stale or never marked. */
err_t portfolio_mark_stale(portfolio_t *p, uint32_t instrument_id);

/* portfolio_day_start: today begins now, for every currency of the account. ERR_NOT_FOUND. */
err_t portfolio_day_start(portfolio_t *p, uint32_t account_id);

/* portfolio_position: all of *out but event_seq, which is 0. false (out untouched): ids unknown or nothing ever booked.
 * O(1). */
bool portfolio_position(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id, position_t *out);

/* portfolio_account: currency number index of an account (0 = home). false past the last, or account unknown. O(1). */
bool portfolio_account(const portfolio_t *p, uint32_t account_id, uint32_t index, portfolio_account_t *out);

/* portfolio_equity_cash_side, _pnl_side: equity of currency index of an account, by the two ways; *out untouched when
 * false. Cash side: O(instruments), cold: values every position again. Pnl side: O(1). */
bool portfolio_equity_cash_side(const portfolio_t *p, uint32_t account_id, uint32_t index, int64_t *out);
bool portfolio_equity_pnl_side(const portfolio_t *p, uint32_t account_id, uint32_t index, int64_t *out);

/* portfolio_hash: everything that a later answer depends on, field by field. O(accounts x instruments), cold. */
uint64_t portfolio_hash(uint64_t hash, const portfolio_t *p);
