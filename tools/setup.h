/* setup: from configuration to what an engine needs before it trades: its sizes, accounts, strategies, and the limits
 * that follow, as input records. One way for offline runs and live instances: each hands every record to engine_apply
 * (and, live, to the journal first).
 *
 * Accounts   Offline: one for each settlement currency of the instruments (setup_currency for each). Live: those of the
 *            configuration, in its order. Amounts and limits that the configuration does not name follow from the
 *            account's initial money: see offline.h.
 * Money      Fee schedules before the accounts that name them; rates behind them. A rate that is an instrument's mid is told
 *            when the instrument is defined.
 * Lines      of `limits:` are changes by lane 0, behind the limits that they change: of instruments and pairs at the first
 *            price, of venues at the instrument's definition, all others at the start. What was changed at run time is
 *            state: a life that goes on with a journal is told nothing of this again.
 * Limits     Those of accounts, strategies, venues at once; those in quantities at an instrument's first price, of several
 *            accounts in its currency the largest where the limit is no account's. A client's
 *            strategy has the rates of its configuration, and in each instrument the position of the account in its
 *            currency, as any other strategy. */
#pragma once

#include "core/engine/engine.h"
#include "tools/config.h"

#define SETUP_ACCOUNTS_MAX 64u

typedef struct setup_account { /* amounts in money of ccy */
    uint64_t                ccy;
    int32_t                 money_exp;
    uint32_t                reserved;
    int64_t                 initial, order_value, position_value, open_value, gross, net, day_loss, drawdown;
    const config_risk_t    *risk;       /* rates and percentages; NULL = defaults of the risk gate */
    const config_account_t *configured; /* NULL: an account of a replay that nobody wrote down */
} setup_account_t;

typedef struct setup {
    const config_t *config;
    uint32_t        account_count;
    uint32_t        strategy_count;
    uint32_t        lane_count; /* clients with lanes, their strategies follow behind; live only */
    uint32_t        reserved;
    setup_account_t accounts[SETUP_ACCOUNTS_MAX + 1]; /* by id, from 1 */
} setup_t;

/* where records go: an error stops the set-up and is passed on */
typedef err_t (*setup_emit_t)(void *ctx, const msg_t *msg);

/* setup_currency: an account for the settlement currency of ins, if there is none. setup_live: all accounts of the
 * configuration, and its clients with lanes; an account counts in 10^-money_exp as the configuration says; an instrument
 * in the same currency with another scale is refused by setup_instrument with a sentence, and cannot be traded. */
err_t setup_begin(setup_t *setup, const config_t *config);
err_t setup_currency(setup_t *setup, const instrument_t *ins);
err_t setup_live(setup_t *setup);

/* setup_amount: decimal text with at most exp places, exactly. ERR_CONFIG with a sentence. */
err_t setup_amount(const char *text, int32_t exp, int64_t *out);

/* setup_engine_cfg: sizes and strategies, epoch 0 (specs NULL, 0: those of the configuration, else both samples), each
 * strategy once in every account. */
err_t setup_engine_cfg(setup_t *setup, uint32_t instruments_max, char *const *specs, uint32_t count, engine_cfg_t *out);

/* setup_open: ACCOUNT_DEF and LIMIT_SET of accounts and strategies, CONTROL of journal and, last of all, clock. After
 * BOOT; said again it changes nothing.
 * setup_lane: who the client of lane lane_id is: tenant, accounts, strategy, rights, policy; false: no such client.
 * setup_instrument: what an instrument's venue needs (limits; its link and session are the adapter's to tell).
 * setup_price: limits in quantities at the first price of an instrument; all of them nothing when no account is in its
 * currency.
 * setup_first_price: is msg a snapshot (of levels or of single orders) with a price in it, and of which instrument? */
bool  setup_first_price(const msg_t *msg, uint32_t *id, int64_t *px);
bool  setup_lane(const setup_t *setup, uint32_t lane_id, lane_t *out);
err_t setup_open(const setup_t *setup, setup_emit_t emit, void *ctx);
err_t setup_instrument(const setup_t *setup, const instrument_t *ins, setup_emit_t emit, void *ctx);
err_t setup_price(const setup_t *setup, const instrument_t *ins, int64_t px, setup_emit_t emit, void *ctx);
