/* risk_model: what the RISK sheet says, in the plainest way that gives the right answer, to judge the gate by.
 *
 * It keeps lists: of every order, of every execution, of every request that passed. Each sum is added up again from these
 * lists each time that it is asked for, each window is counted from its first entry, each percentage is a product of 128
 * bits. It shares types with core/risk and core/order (requests, reports, limits) and not a line of code.
 *
 *   risk_model_md ─ risk_model_check ─ risk_model_report ─ risk_model_loss      in the order in which the gate is told
 *
 * Differs   from the gate in nothing that is compared: code, scope, observed, limit, price to send, exposure, states.
 *           Not modelled: soft events, the question (risk_probe), gaps between fills and cum_qty (reports say -1),
 *           more than one tick band, accounts of several currencies or a third one, hedging accounts, auction orders,
 *           cancels and slices that the engine makes itself, windows whose length changes.
 * Memory    malloc; lists grow. Any misuse ends the program: it is a test. */
#pragma once

#include <stdbool.h>

#include "core/risk/risk.h"

#define RISK_MODEL_IDS 8u       /* ids 1 .. RISK_MODEL_IDS - 1 of each kind */
#define RISK_MODEL_PENDING 128u /* replaces of one order since none was under way */

typedef struct risk_model risk_model_t;

typedef struct risk_model_verdict {
    uint16_t code;
    scope_t  scope_type;
    uint32_t scope_id;
    int64_t  observed;
    int64_t  limit;
    int64_t  px; /* to send, when it passed */
    int64_t  px_value;
} risk_model_verdict_t;

/* Planted faults: the model gets one of its rules wrong, and the comparison must find it. */
typedef enum risk_model_fault {
    RISK_MODEL_RIGHT = 0,
    RISK_MODEL_WINDOW_CLOSED,    /* an event w ago still counts                        */
    RISK_MODEL_CANCEL_FREES,     /* a cancel that was sent gives its exposure back     */
    RISK_MODEL_REPLACE_NEW,      /* a replace under way counts as the new order alone  */
    RISK_MODEL_UNKNOWN_DEAD,     /* an order that timed out counts as dead             */
    RISK_MODEL_BUST_REOPENS,     /* busted quantity comes back to leaves               */
    RISK_MODEL_DOUBLE_FILL,      /* an execution told twice is booked twice            */
    RISK_MODEL_LONG_STRICT,      /* 221 at the limit and not only beyond it            */
    RISK_MODEL_SHORT_OTHER_SIDE, /* a sell is tested against L                         */
    RISK_MODEL_GROSS_ALWAYS,     /* 223 also stops what does not raise the worst case  */
    RISK_MODEL_COLLAR_ROUNDED,   /* the collar is rounded away from the reference      */
    RISK_MODEL_SELL_AT_LIMIT,    /* a sell is valued at its limit below the reference  */
    RISK_MODEL_STP_ACCOUNT,      /* self-trades only within an account                 */
    RISK_MODEL_ORDER_D_BEFORE_C, /* market data are looked at before the state         */
    RISK_MODEL_LATCH_LIFTS,      /* a recovery of profit lifts the latch               */
    RISK_MODEL_DUP_ANY_ACCOUNT,  /* 277 over all accounts                              */
    RISK_MODEL_RATE_DOWN,        /* what is converted is rounded for us                */
    RISK_MODEL_RELEASE_COUNTS,   /* what was held counts for 271 again when it leaves  */
    RISK_MODEL_FAULTS
} risk_model_fault_t;

risk_model_t *risk_model_new(const risk_cfg_t *cfg, risk_model_fault_t fault);
void          risk_model_free(risk_model_t *m);

/* Set-up, as the gate is given it. */
void risk_model_instrument(risk_model_t *m, const instrument_def_t *def, int64_t tick);
void risk_model_account(risk_model_t *m, uint32_t account_id, const risk_account_cfg_t *cfg);
void risk_model_strategy(risk_model_t *m, uint32_t strategy_id, uint32_t tenant_id, uint32_t approved);
void risk_model_permit(risk_model_t *m, uint32_t account_id, uint32_t instrument_id, bool allowed);
void risk_model_restrict(risk_model_t *m, uint32_t instrument_id, bool restricted);
void risk_model_limits(risk_model_t *m, scope_t scope, uint32_t id1, uint32_t id2, const risk_limits_t *limits);
void risk_model_control(risk_model_t *m, const control_t *c);

/* risk_model_md: what the market looks like from now on, and a mark at it. */
void risk_model_md(risk_model_t *m, uint32_t instrument_id, const risk_md_t *md, now_t now);

void risk_model_volume(risk_model_t *m, uint32_t instrument_id, int64_t adv_qty);
void risk_model_equity(risk_model_t *m, uint32_t account_id, int64_t equity, int64_t cash_free);
void risk_model_rate(risk_model_t *m, int64_t rate, int8_t rate_exp, now_t now); /* of what is not home money to it */
void risk_model_budget(risk_model_t *m, const venue_budget_t *budget, now_t now);

/* risk_model_check: the verdict; what passes is remembered as sent, or held. */
void risk_model_check(risk_model_t *m, const order_req_t *req, risk_mode_t mode, uint64_t order_seq, now_t now,
                      risk_model_verdict_t *out);
void risk_model_report(risk_model_t *m, const exec_report_t *report, now_t now);
void risk_model_loss(risk_model_t *m, uint32_t account_id, const risk_pnl_t *pnl, now_t now);

/* Reading: added up from the lists. strategy_id 0: of the account over all strategies; account_id 0: the other way. */
void     risk_model_exposure(const risk_model_t *m, uint32_t account_id, uint32_t strategy_id, uint32_t instrument_id,
                             risk_exposure_t *out);
void     risk_model_account_state(const risk_model_t *m, uint32_t account_id, risk_account_state_t *out);
int64_t  risk_model_leaves(const risk_model_t *m, uint64_t cl_ord_id); /* what may still trade: -1 = closed or none */
uint32_t risk_model_open(const risk_model_t *m, uint64_t *ids, uint32_t room); /* ids of open orders */
