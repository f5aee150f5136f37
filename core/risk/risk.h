/* risk: the gate that every request passes before it leaves, and the exposure that it guards.
 *
 *   request  ─▶ risk_check ─▶ code 0: counted and reserved in the same call; then order_open, order_replace_sent or
 *                 │           order_cancel_sent
 *                 └─▶ any other code: denied, only the id is remembered as seen
 *   question ─▶ risk_probe: the same chain, and nothing is changed
 *   report   ─▶ order_apply_exec ─▶ effect ─▶ risk_exec     exposure follows the order table, position follows fills
 *   marks    ─▶ risk_mark, risk_loss                        values at the reference price; loss latch
 *   control  ─▶ risk_control;  configuration ─▶ risk_limits_set
 *
 * Checks    in this order, the first that fails is the answer: A validity 101 104 112 102 103 122, for REPLACE and
 *           CANCEL 115 116 117, then 113 105 107 109 106 108 111 110 114; B authority 121 123-128; C 141-149, 157, 158,
 *           150 or 251-253, 151-154, 156, 155, and 199 when the order table is full; D 161-164; E 181-184; F 201, 202;
 *           G 271-273, 277; H 291; I 221-228. REPLACE skips 113, 226, 227, 277. CANCEL is tested for 101-103, 112, 115,
 *           116 and 122 only and never refused for more; one over its own budget passes and is told as a soft event 274.
 * Closed    Everything starts closed: after risk_new no account exists, venues are down, sessions closed, journal and
 *           clock not trusted, no limits set. What must be done before the first order passes: risk_account_open,
 *           risk_strategy_open; risk_limits_set for ACCOUNT, VENUE, INSTRUMENT, ACCOUNT_INSTRUMENT and, when the request
 *           names a strategy, STRATEGY and STRATEGY_INSTRUMENT (else 155); risk_control JOURNAL 1, CLOCK 1, VENUE_LINK 1,
 *           SESSION OPEN (of the venue or of the instrument). Limit 0 means "nothing allowed". There is no "unlimited":
 *           INT64_MAX is a figure like another. Limits may be set for a strategy that is not open.
 * Worst     L = pos + buy_open, K = -(pos - sell_open), per account x instrument and per strategy x instrument, where
 *   case    buy_open, sell_open are the sums of order_part() over the order table, exactly, at every moment between
 *           calls. A REPLACE is tested with its new leaves in place of the order's own part, and reserves the greater of
 *           both.
 * Value     notional at the reference price of the last risk_mark or passed risk_check; before any, at the price of the
 *           last fill. What does not fit an int64 counts as INT64_MAX there, and is 111 in a check. fx is 1: an account
 *           has one currency and scale, and an instrument that settles in another is 155 there. An inverse contract is
 *           worth more at a lower price; the worse end is taken.
 * Reference mid of a book with both sides if fresh, else a fresh last trade. Mid is kept doubled, so nothing is rounded;
 *           every percentage is compared by cross-multiplication in 128 bits, and so is exact.
 * Sessions  an order needs the venue and the instrument OPEN where either has been set, and at least one set. PRE_OPEN
 *           takes auction types only, and we have none: 157.
 * Seen      113 by a watermark for each origin (ids.h): an id not above the newest one of its origin has been seen,
 *           whatever became of it. Ids of REPLACE and CANCEL raise the mark too.
 * Windows   exact: an event at t passes when fewer than n passed events lie in (t - w, t]. The last window_max pass times
 *           are kept for each scope, so n <= window_max is refused otherwise.
 * Replaces  several may be under way for one order; the worst of all of them counts until the last is answered.
 * Asking    risk_probe gives the verdict that risk_check would give to a NEW at this moment, and two figures more.
 *           adjusted_qty: the largest quantity on the lot, at most the one asked for, that would pass: the one asked for
 *           when that passes; found by bisection when its size stands against it, that is for 107, 111, 126, 150, 201,
 *           202, 221-225, 228, 251-253 and 273; 0 for every other code, and when no smaller one would pass (109, 110,
 *           or a check that any quantity fails). A duplicate (277) is cured by no other quantity, but is no answer either.
 *           score: 10000 * max(use / limit), rounded down, so 10000 says that a limit would be used up: each with the
 *           request in place, whether it passes or not, over 201 and 202 (instrument, account), 221 or 222 (account and
 *           strategy, side of the request), 223 and 225 when the worst case of the instrument is raised, 224, 226, 227,
 *           228, 271 and 272 (strategy, account, venue), 273 (sum, and entries of its window). A limit of 0, or one that
 *           was never set, is used up. So is what cannot be valued: a denial before 114 in the order above, no price.
 *
 * Memory    one arena of the caller's, all sizes from risk_cfg_t; no pointers: its bytes are its snapshot and
 *           risk_hash() is the hash of those bytes (no padding, zeroed by new).
 * Threads   the engine thread only.
 * Time      now_t comes with each call; mono_ns for ages and windows, utc_ns only for the verdict and the trading day.
 * Cost      risk_check: O(1), plus own resting orders that cross, plus orders of the last dup_w; budget p99 200 ns.
 *           risk_probe: below.
 * Source    RISK sheet; the sections named in comments are its sections. */
#pragma once

#include <stdbool.h>

#include "core/order/order.h"
#include "core/ref/instrument.h"
#include "core/risk/risk_code.h"
#include "core/types/err.h"
#include "core/types/msg.h"
#include "core/types/time.h"

#define RISK_IDS_MAX 65535u /* of tenants, accounts, strategies, venues */
#define RISK_VENUES_MAX 63u /* a right is one bit of a word            */
#define RISK_WINDOW_MAX 65536u
#define RISK_SOFT_MAX 16u /* soft events of one check */

typedef enum risk_stp { RISK_STP_TENANT = 1, RISK_STP_ACCOUNT = 2 } risk_stp_t; /* who may not trade with itself (H) */

typedef struct risk_cfg {
    uint32_t tenants_max; /* ids 1 .. max of each kind */
    uint32_t accounts_max;
    uint32_t strategies_max;
    uint32_t instruments_max;
    uint32_t venues_max;
    uint32_t window_max;         /* largest rate_n, msg_n, cancel_n, dup_n                              */
    uint32_t value_window_max;   /* passed orders within value_w_ns at most; one more is 273            */
    uint32_t stp;                /* risk_stp_t (windows are rounded up to powers of two)                */
    int64_t  max_request_age_ns; /* 114 */
    int64_t  max_ahead_ns;       /* 114: a request may be dated this far ahead of now                 */
    int64_t  soft_bp;            /* a hard limit used to this share writes a soft event               */
} risk_cfg_t;

/* One limit set. Which fields a scope has: V venue, A account, S strategy, I instrument, AI and SI the pairs. A field
 * that its scope does not have must be 0. n = count, w = window, bp = 1/10,000. */
typedef struct risk_limits {
    int64_t max_qty;           /* I AI     201 */
    int64_t max_value;         /* A I      202 */
    int64_t max_md_age_ns;     /* I        162 */
    int64_t max_spread_bp;     /* I        163: of mid */
    int64_t collar_bp;         /* I        181, 182 */
    int64_t far_bp;            /* I        183 */
    int64_t max_long;          /* AI SI    221 */
    int64_t max_short;         /* AI SI    222 */
    int64_t max_gross;         /* A        223 */
    int64_t max_net;           /* A        224 */
    int64_t concentration_bp;  /* A        225: of max_gross */
    int64_t max_open_orders;   /* A AI     227, 226 */
    int64_t max_open_value;    /* A        228 */
    int64_t max_day_loss;      /* A        251 */
    int64_t max_realised_loss; /* A        252 */
    int64_t max_drawdown;      /* A        253 */
    int64_t rate_n;            /* A S V    271: NEW and REPLACE */
    int64_t rate_w_ns;
    int64_t msg_n; /* A S V    272: NEW and REPLACE, with a budget of its own */
    int64_t msg_w_ns;
    int64_t cancel_n; /* A S V    274: told, never refused */
    int64_t cancel_w_ns;
    int64_t value_w_max; /* A        273 */
    int64_t value_w_ns;
    int64_t dup_n; /* A        277: equal orders that may pass within dup_w_ns */
    int64_t dup_w_ns;
} risk_limits_t;

typedef struct risk_account_cfg {
    uint64_t ccy; /* ccy_pack(); instruments that settle in another currency or scale cannot be traded (155) */
    uint32_t tenant_id;
    int8_t   money_exp;
    uint8_t  may_trade; /* 121 */
    uint8_t  may_short; /* 126 */
    uint8_t  ord_types; /* 127: bit 1 << ord_type_t */
    uint64_t venues;    /* 125: bit 1 << venue id   */
} risk_account_cfg_t;

typedef struct risk_md { /* what the engine knows of the market; a side that is absent has has_* 0 */
    int64_t bid_px;
    int64_t ask_px;
    int64_t last_px;
    int64_t book_mono_ns; /* receive time of the newest update of the book */
    int64_t last_mono_ns;
    uint8_t has_bid;
    uint8_t has_ask;
    uint8_t has_last;
    uint8_t feed_gap; /* 1: a sequence gap is not repaired (book BROKEN or RECOVERING) */
    uint8_t reserved[4];
} risk_md_t;

typedef struct risk_in {
    const order_req_t   *req;
    const instrument_t  *ins;    /* of req->instrument_id; NULL = unknown                     */
    const risk_md_t     *md;     /* of that instrument; NULL = nothing known                  */
    const order_t       *target; /* REPLACE, CANCEL: the order of orig_cl_ord_id; NULL = none */
    const order_table_t *orders;
    now_t                now;
    uint64_t             order_seq; /* engine sequence, for the verdict */
} risk_in_t;

typedef struct risk_soft { /* passed, but a limit is used to soft_bp or more; at most once a second for each limit.
                            * For limits that fill up: 221-224, 226-228, 271-273; and 274 when it is exceeded */
    uint16_t code;
    uint8_t  scope_type;
    uint8_t  reserved;
    uint32_t scope_id;
    int64_t  observed;
    int64_t  limit;
} risk_soft_t;

typedef struct risk_out {
    verdict_t   verdict;  /* complete; verdict.code 0 = passed and reserved                                       */
    int64_t     px;       /* passed NEW, REPLACE: the limit price to send (MARKET: the collar, on tick)           */
    int64_t     px_value; /* likewise: for order_open, order_replace_sent                                         */
    uint32_t    soft_count;
    uint32_t    reserved;
    risk_soft_t soft[RISK_SOFT_MAX];
} risk_out_t;

#define RISK_SCORE_MAX 10000

typedef struct risk_probe {
    verdict_t verdict;      /* what risk_check would say now                                     */
    int64_t   px;           /* limit price to send (MARKET: the collar); 0 when it has none yet  */
    int64_t   adjusted_qty; /* the most that would pass now: 0 .. what was asked, on the lot     */
    uint16_t  score;        /* use of the limit used most, in 1/100 percent: 0 .. RISK_SCORE_MAX */
    uint16_t  reserved[3];
} risk_probe_t;

typedef struct risk_pnl { /* of an account, in its money */
    int64_t day;          /* realised today + unrealised - fees */
    int64_t realised;     /* today */
    int64_t equity;
} risk_pnl_t;

typedef enum risk_loss_level { RISK_LOSS_NONE = 0, RISK_LOSS_WARN, RISK_LOSS_STOP, RISK_LOSS_KILL } risk_loss_level_t;

typedef struct risk_loss_event { /* level NONE: nothing new since the last call */
    uint8_t  level; /* risk_loss_level_t; KILL: the account's kill flag is set, the caller cancels its open orders */
    uint8_t  reserved;
    uint16_t code; /* 251, 252, 253 */
    uint32_t account_id;
    int64_t  observed; /* loss, positive */
    int64_t  limit;
} risk_loss_event_t;

typedef struct risk_exposure {
    int64_t pos;
    int64_t buy_open;
    int64_t sell_open;
    int64_t worst_long;  /* L */
    int64_t worst_short; /* K */
    int64_t open_value;  /* money: sum over open orders of the notional of their part */
    int64_t open_orders;
} risk_exposure_t;

typedef struct risk_account_state {
    i128_t   gross; /* money: sums over instruments, at the last marks */
    i128_t   net_long;
    i128_t   net_short;
    i128_t   open_value;
    int64_t  open_orders;
    uint16_t latched; /* 0, 251, 252 or 253 */
    uint8_t  reduce_only;
    uint8_t  killed;
    uint8_t  unreconciled;
    uint8_t  recovering;
    uint8_t  reserved[2];
} risk_account_state_t;

typedef struct risk_venue_state {
    uint8_t killed;
    uint8_t link_up;
    uint8_t ring_full;
    uint8_t session; /* session_t */
} risk_venue_state_t;

typedef struct risk_counts { /* received = accepted + rejected */
    uint64_t received;
    uint64_t accepted;
    uint64_t rejected;
} risk_counts_t;

typedef struct risk risk_t; /* lies in the arena */

/* Life cycle. risk_cfg_default: the defaults of the sheet and sizes for a small instance. risk_footprint: 0 and a
 * sentence when cfg is out of range. risk_new: formats mem (aligned to risk_align()), everything closed; NULL and a
 * sentence on a bad cfg. risk_join: NULL and a sentence when no gate lies there; works on any copy of the bytes. */
void    risk_cfg_default(risk_cfg_t *cfg);
size_t  risk_align(void);
size_t  risk_footprint(const risk_cfg_t *cfg);
void   *risk_new(void *mem, const risk_cfg_t *cfg);
risk_t *risk_join(void *mem);

/* Set-up: ERR_OK, or ERR_ARG (id out of range, a bad value; the sentence says which) with nothing changed.
 * risk_account_open: also changes the rights of an account that exists; its tenant and currency stay (ERR_EXISTS).
 * risk_strategy_open: version of its approval record; 0 takes the approval away (128).
 * risk_permit: account may trade the instrument (123); every instrument is permitted until this says no (and closed
 *   until it has limits). risk_restrict: instrument is on the restricted list (124). */
err_t risk_account_open(risk_t *risk, uint32_t account_id, const risk_account_cfg_t *cfg);
err_t risk_strategy_open(risk_t *risk, uint32_t strategy_id, uint32_t tenant_id, uint32_t approved_version);
err_t risk_permit(risk_t *risk, uint32_t account_id, uint32_t instrument_id, bool allowed);
err_t risk_restrict(risk_t *risk, uint32_t instrument_id, bool restricted);

/* risk_limits_default: the defaults of the sheet for a scope. Figures for which the sheet has none (quantities, values,
 * positions, losses) are 0: nothing allowed until they are set.
 * risk_limits_set: replace the whole set of one scope between two orders.
 *   scope_type  VENUE, ACCOUNT, STRATEGY, INSTRUMENT (id1), ACCOUNT_INSTRUMENT, STRATEGY_INSTRUMENT (id1 x instrument
 * id2) Returns ERR_OK and limit_version is one higher; ERR_ARG with a sentence that names field, value and bound, and
 * the old set stays in force. Lowering takes effect at once and cancels nothing. */
void  risk_limits_default(scope_t scope_type, risk_limits_t *limits);
err_t risk_limits_set(risk_t *risk, scope_t scope_type, uint32_t id1, uint32_t id2, const risk_limits_t *limits);

/* risk_limits_known: was a set ever given for this scope (ids as above)? false also for a scope that does not exist. */
bool risk_limits_known(const risk_t *risk, scope_t scope_type, uint32_t id1, uint32_t id2);

/* risk_control: one MSG_CONTROL record. ERR_ARG with a sentence for a kind, scope, id or value that does not exist;
 * nothing changed then. KILL, SESSION, REDUCE_ONLY, RECOVERING, UNRECONCILED, VENUE_LINK, JOURNAL, CLOCK, CLEAR_LATCH,
 * RING_FULL.
 */
err_t risk_control(risk_t *risk, const control_t *control);

/* risk_check: the one check. Fills *out. Code 0 = passed, and the request is counted and reserved: the caller must now
 * call order_open, order_replace_sent or order_cancel_sent with out->px and out->px_value. */
void risk_check(risk_t *risk, const risk_in_t *in, risk_out_t *out);

/* risk_probe: the question ("Asking" above). in->req is a NEW, else it is our mistake; in->target is not read. *risk is
 * the same to the byte.
 * Cost: a risk_check that reserves nothing, about as much again for the score, and there an entry of the value window
 * each where 273 may be the limit used most. When the size stands against it up to 64 chains more, and one for each
 * duplicate that is stepped over. */
void risk_probe(const risk_t *risk, const risk_in_t *in, risk_probe_t *out);

/* risk_seen: place (cl_ord_id_mark) of the newest id seen of an origin; 0 = none. */
uint64_t risk_seen(const risk_t *risk, uint32_t origin);

/* risk_exec: take over what order_apply_exec did: exposure of the order from before to after, and position by the
 * booked quantity, in one step. OVERFILL puts the account into reduce-only; ACCOUNT_UNRECONCILED sets 152.
 *   ins   of effect->instrument_id, never NULL when effect books or names an order
 * false when something is booked on an account that the cfg has no room for: nothing changed, the caller raises an
 * alarm */
bool risk_exec(risk_t *risk, const instrument_t *ins, const order_effect_t *effect);

/* risk_fill: position that comes from elsewhere than our orders (opening balance, reconciliation). qty is signed; px
 * values it until the first mark. A sum over 63 bits closes the account x instrument for good: 199. false as risk_exec.
 */
bool risk_fill(risk_t *risk, const instrument_t *ins, uint32_t account_id, uint32_t strategy_id, int64_t qty,
               int64_t px);

/* risk_mark: new reference price of an instrument: values of all accounts follow. O(accounts).
 * md as for risk_check; ignored while it gives no reference. */
void risk_mark(risk_t *risk, const instrument_t *ins, const risk_md_t *md, now_t now);

/* risk_loss: judge an account's profit and loss (J): on each fill and mark, at least every 100 ms.
 * WARN at 80 % of a loss limit; STOP at 100 %: latched, acts as reduce-only with its own code until
 * CONTROL_CLEAR_LATCH; KILL at 120 %, or 60 s after STOP when the loss is larger than it was then: the account's kill
 * flag is set. Drawdown is from the highest equity since the start of the UTC day. An account without limits gives
 * NONE. *event: the gravest news; each level is told once per latch, WARN at most once a second. O(1) */
void risk_loss(risk_t *risk, uint32_t account_id, const risk_pnl_t *pnl, now_t now, risk_loss_event_t *event);

/* Reading. False when the account, strategy or instrument does not exist (out untouched). */
bool risk_exposure(const risk_t *risk, uint32_t account_id, uint32_t instrument_id, risk_exposure_t *out);
bool risk_strategy_exposure(const risk_t *risk, uint32_t strategy_id, uint32_t instrument_id, risk_exposure_t *out);
bool risk_account_state(const risk_t *risk, uint32_t account_id, risk_account_state_t *out);
bool risk_venue_state(const risk_t *risk, uint32_t venue_id, risk_venue_state_t *out);
/* risk_account_code: why the account as a whole cannot open positions: 141, 142, 143, 150 or 251-253, 151, 152; 0 = it
 * can, or there is none. */
uint16_t      risk_account_code(const risk_t *risk, uint32_t account_id);
risk_counts_t risk_counts(const risk_t *risk);
uint32_t      risk_limit_version(const risk_t *risk);

/* risk_hash: the whole state, O(footprint). */
uint64_t risk_hash(uint64_t hash, const risk_t *risk);
