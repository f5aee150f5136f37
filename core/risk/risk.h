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
 *           150 or 251-253, 151-154, 156, 155, and 199 when the order table is full; D 161-164; E 181-185; F 201-203;
 *           G 271-273, 278, 277, 275; H 291; I 221-231. REPLACE skips 113, 226, 227, 277, and a
 *           RELEASE of the engine's own id (a slice) 277. CANCEL is tested for 101-103,
 *           112, 115, 116 and 122 only and never refused for more; one over its own budget passes and is told as a soft
 *           event 274. 276 and 279 kill their strategy (144). A kill of a pair is 143, 144 or 145 with the pair's scope.
 *           223, 225, 229 and, of funds for margin, 230 stop no order that does not raise max(|L|, |K|).
 * Why       risk_in_t.mode: an order that leaves, one that the engine holds, one that it releases, one that closes a
 *           killed position (risk_mode_t).
 * Closed    Everything starts closed: after risk_new no account exists, venues are down, sessions closed, journal and
 *           clock not trusted, no limits set. What must be done before the first order passes: risk_account_open,
 *           risk_strategy_open; risk_limits_set for ACCOUNT, VENUE, INSTRUMENT, ACCOUNT_INSTRUMENT and, when the request
 *           names a strategy, STRATEGY and STRATEGY_INSTRUMENT (else 155); risk_control JOURNAL 1, CLOCK 1, VENUE_LINK 1,
 *           SESSION OPEN (of the venue or of the instrument). Limit 0 means "nothing allowed". There is no "unlimited":
 *           INT64_MAX is a figure like another, but where a field may be put off (RISK_OFF below). Limits may be set
 *           for a strategy that is not open.
 * Worst     L = pos + buy_open, K = -(pos - sell_open), per account x instrument and per strategy x instrument, where
 *   case    buy_open, sell_open are the sums of order_part() over the order table, exactly, at every moment between
 *           calls. A REPLACE is tested with its new leaves in place of the order's own part, and reserves the greater of
 *           both.
 * Value     notional at the reference price of the last risk_mark or passed risk_check; before any, at the price of the
 *           last fill. What does not fit an int64 counts as INT64_MAX there, and is 111 in a check. An inverse
 *           contract is worth more at a lower price; the worse end is taken. Money is the account's home currency: what
 *           settles in another currency or scale is converted by the newest rate, rounded up (no rate 155, too old 162).
 * Reference mid of a book with both sides if fresh, else a fresh last trade. else the previous close where use_prev_close allows it. Mid is
 *           kept doubled and prices are whole, so a bound that is rounded to the strict side decides exactly.
 *           MARKET and MARKET_TO_LIMIT need a fresh book and leave at the collar, or at the static band where that is
 *           nearer.
 * Sessions  an order needs the venue and the instrument OPEN where either has been set, and at least one set. PRE_OPEN
 *           takes TIF OPG and ATC only, OPEN no OPG (157); what is held for an auction may be entered when CLOSED.
 * Own       291: in every mode nothing is reserved. CANCEL_OLDEST and DECREMENT count the order in the windows of 271 and
 *   orders  272 then, for the engine holds it from there on. risk_crossing tells which orders are meant.
 * Hedging   position_effect CLOSE is bounded by its bucket (150), OPEN of a sell needs may_short (126).
 * Seen      113 by a watermark for each origin (ids.h): an id not above the newest one of its origin has been seen,
 *           whatever became of it. Ids of REPLACE and CANCEL raise the mark too. observed = code of the first
 *           verdict, limit = its order_seq; -1 both when verdicts_max newer ids came since.
 * Windows   exact: an event at t passes when fewer than n passed events lie in (t - w, t]. The last window_max pass times
 *           are kept for each scope, so n <= window_max is refused otherwise.
 * Replaces  several may be under way for one order; the worst of all of them counts until the last is answered.
 * Asking    risk_probe gives the verdict that risk_check would give to a NEW at this moment, and two figures more.
 *           adjusted_qty: the largest quantity on the lot, at most the one asked for, that would pass: the one asked for
 *           when that passes; found by bisection when its size stands against it, that is for 107, 111, 126, 150, 201,
 *           202, 203, 221-225, 228-231, 251-253, 273 and 275; 0 for every other code, and when no smaller one would pass (109, 110,
 *           or a check that any quantity fails). A duplicate (277) is cured by no other quantity, but is no answer either.
 *           score: 10000 * max(use / limit), rounded down, so 10000 says that a limit would be used up: each with the
 *           request in place, whether it passes or not, over 201 and 202 (instrument, account), 221 or 222 (account,
 *           strategy and tenant, side of the request), 229 to 231 where they are tested, 223 and 225 when the worst
 *           case of the instrument is raised, 224, 226, 227,
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
#define RISK_VERDICTS_MAX (1u << 24)
#define RISK_SOFT_MAX 24u  /* soft events of one check */
#define RISK_VOL_SLICES 64 /* of the window of 185 */
#define RISK_FX_MAX 1024u

typedef enum risk_stp { RISK_STP_TENANT = 1, RISK_STP_ACCOUNT = 2 } risk_stp_t; /* who may not trade with itself (H) */
typedef enum risk_stp_mode { /* what is done about it; the gate says 291 in every mode, and reserves nothing */
                             RISK_STP_MODE_NONE = 0,
                             RISK_STP_MODE_CANCEL_NEWEST, /* the new order is denied */
                             RISK_STP_MODE_CANCEL_OLDEST, /* the resting ones are cancelled, the new one waits for that */
                             RISK_STP_MODE_CANCEL_BOTH,   /* they are cancelled and it is denied */
                             RISK_STP_MODE_DECREMENT, /* the smaller quantity comes off both sides, what is left of the new one waits */
                             RISK_STP_MODE_COUNT
} risk_stp_mode_t;

typedef enum risk_mode {                      /* why the gate is asked */
                         RISK_MODE_ORDER = 0, /* it leaves now */
                         RISK_MODE_HOLD, /* the engine keeps it: A, B, C (126 and an order's own reduce-only wait for its release),
                          * 271, 272 and F where its price is known; counts in the windows of 271 and 272 and in the ids seen, and
                          * reserves nothing. target is not read: 115 to 117 are the caller's, who knows what he holds */
                         RISK_MODE_RELEASE, /* a held order, or a slice of one, leaves: the whole chain but 113 and 114; one
                          * whose id has been seen is in the windows of 271 and 272 since then */
                         RISK_MODE_FLATTEN /* the engine closes a position of a killed scope: the whole chain but 141 to 146 */
} risk_mode_t;

typedef struct risk_cfg {
    uint32_t tenants_max; /* ids 1 .. max of each kind */
    uint32_t accounts_max;
    uint32_t strategies_max;
    uint32_t instruments_max;
    uint32_t venues_max;
    uint32_t window_max;         /* largest rate_n, msg_n, cancel_n, dup_n                              */
    uint32_t value_window_max;   /* passed orders within value_w_ns at most; one more is 273            */
    uint32_t stp;                /* risk_stp_t (windows are rounded up to powers of two)                */
    uint32_t stp_mode;           /* risk_stp_mode_t                                                   */
    uint32_t verdicts_max;       /* first verdicts remembered for 113 (rounded up to a power of two)   */
    uint32_t fills_window_max;   /* fills of a strategy within rep_w_ns at most; one more is 276        */
    uint32_t fx_max;             /* pairs of currencies that have a rate                              */
    int64_t  max_request_age_ns; /* 114 */
    int64_t  max_ahead_ns;       /* 114: a request may be dated this far ahead of now                 */
    int64_t  soft_bp;            /* a hard limit used to this share writes a soft event               */
    int64_t  fx_max_age_ns;      /* an older rate is 162 for what settles in its currency              */
    int64_t  day_offset_ns;      /* the trading day is that of a clock so far east of UTC             */
} risk_cfg_t;

typedef enum risk_funds { /* what a purchase or a margin must be covered by (230) */
                          RISK_FUNDS_NONE =
                              0, /* nothing of the account's own: its credit alone bounds it (229)              */
                          RISK_FUNDS_CASH, /* what is bought for cash (SPOT) must be paid: open buys <= cash               */
                          RISK_FUNDS_MARGIN /* margin of the worst case <= equity */
} risk_funds_t;

/* One limit set: the table of its fields, which configuration, commands, audit and documents share. A field's number is
 * its place, and the table only grows at its end. Which scopes have it: G global, T tenant, A account, S strategy, I
 * instrument, V venue, AI, SI and TI the pairs with an instrument. A field that its scope does not have must be 0.
 * n = count, w = window, bp = 1/10,000. Bounds: a count of RISK_WINDOW_MAX is bounded by cfg.window_max as well.
 * Off       RISK_OFF, the largest int64, in the fields whose bound it is: adv_bp and depth_bp (203), max_credit (229) and
 *           max_turnover (231) then test nothing. It must be said; it is their default but of adv_bp because the sheet
 *           gives them none, and what it bounds is bounded by 223 and 228 too. No other field can be put off.
 *
 * X(name, unit, scopes, code, min, max, default) */
enum {
    RISK_G  = 1 << SCOPE_GLOBAL,
    RISK_T  = 1 << SCOPE_TENANT,
    RISK_A  = 1 << SCOPE_ACCOUNT,
    RISK_S  = 1 << SCOPE_STRATEGY,
    RISK_I  = 1 << SCOPE_INSTRUMENT,
    RISK_V  = 1 << SCOPE_VENUE,
    RISK_AI = 1 << SCOPE_ACCOUNT_INSTRUMENT,
    RISK_SI = 1 << SCOPE_STRATEGY_INSTRUMENT,
    RISK_TI = 1 << SCOPE_TENANT_INSTRUMENT
};
#define RISK_OFF INT64_MAX
#define RISK_BP INT64_C(10000) /* 100 % */
#define RISK_DAY_NS INT64_C(86400000000000)

/* clang-format off */
#define RISK_FIELDS(X) \
    X(max_qty,           "qty",   RISK_I | RISK_AI,           201, 0, INT64_MAX,      0)                          \
    X(max_value,         "money", RISK_A | RISK_I,            202, 0, INT64_MAX,      0)                          \
    X(max_md_age_ns,     "ns",    RISK_I,                     162, 0, RISK_DAY_NS,    500 * NS_PER_MS)            \
    X(max_spread_bp,     "bp",    RISK_I,                     163, 0, 100 * RISK_BP,  500)     /* of mid */       \
    X(collar_bp,         "bp",    RISK_I,                     181, 0, RISK_BP,        300)     /* and 182 */      \
    X(far_bp,            "bp",    RISK_I,                     183, 0, 100 * RISK_BP,  5000)                       \
    X(max_long,          "qty",   RISK_AI | RISK_SI | RISK_TI, 221, 0, INT64_MAX,     0)                          \
    X(max_short,         "qty",   RISK_AI | RISK_SI | RISK_TI, 222, 0, INT64_MAX,     0)                          \
    X(max_gross,         "money", RISK_A,                     223, 0, INT64_MAX,      0)                          \
    X(max_net,           "money", RISK_A,                     224, 0, INT64_MAX,      0)                          \
    X(concentration_bp,  "bp",    RISK_A,                     225, 0, RISK_BP,        2500)    /* of max_gross */ \
    X(max_open_orders,   "count", RISK_A | RISK_AI,           227, 0, ORDER_ROWS_MAX, 500)     /* AI: 226, 50 */  \
    X(max_open_value,    "money", RISK_A,                     228, 0, INT64_MAX,      0)                          \
    X(max_day_loss,      "money", RISK_A,                     251, 0, INT64_MAX,      0)                          \
    X(max_realised_loss, "money", RISK_A,                     252, 0, INT64_MAX,      0)                          \
    X(max_drawdown,      "money", RISK_A,                     253, 0, INT64_MAX,      0)                          \
    X(rate_n,            "count", RISK_A | RISK_S | RISK_V,   271, 0, RISK_WINDOW_MAX, 100)    /* NEW, REPLACE */ \
    X(rate_w_ns,         "ns",    RISK_A | RISK_S | RISK_V,   271, 1, RISK_DAY_NS,    NS_PER_S)                   \
    X(msg_n,             "count", RISK_A | RISK_S | RISK_V,   272, 0, RISK_WINDOW_MAX, 250)    /* likewise */     \
    X(msg_w_ns,          "ns",    RISK_A | RISK_S | RISK_V,   272, 1, RISK_DAY_NS,    NS_PER_S)                   \
    X(cancel_n,          "count", RISK_A | RISK_S | RISK_V,   274, 0, RISK_WINDOW_MAX, 200)    /* only told */    \
    X(cancel_w_ns,       "ns",    RISK_A | RISK_S | RISK_V,   274, 1, RISK_DAY_NS,    NS_PER_S)                   \
    X(value_w_max,       "money", RISK_A,                     273, 0, INT64_MAX,      0)                          \
    X(value_w_ns,        "ns",    RISK_A,                     273, 1, RISK_DAY_NS,    60 * NS_PER_S)              \
    X(dup_n,             "count", RISK_A,                     277, 0, RISK_WINDOW_MAX, 1)      /* equal orders */ \
    X(dup_w_ns,          "ns",    RISK_A,                     277, 1, RISK_DAY_NS,    100 * NS_PER_MS)            \
    /* up to here a LIMIT_SET says them; the rest has its default there and is set by LIMIT_CHANGE */              \
    X(vol_bp,            "bp",    RISK_I,                     185, 0, 100 * RISK_BP,  500)                        \
    X(vol_w_ns,          "ns",    RISK_I,                     185, RISK_VOL_SLICES, RISK_DAY_NS, 60 * NS_PER_S)   \
    X(vol_pause_ns,      "ns",    RISK_I,                     185, 0, RISK_DAY_NS,    30 * NS_PER_S)              \
    X(adv_bp,            "bp",    RISK_I,                     203, 0, RISK_OFF,       100)     /* of ADV */       \
    X(depth_bp,          "bp",    RISK_I,                     203, 0, RISK_OFF,       RISK_OFF) /* of depth */    \
    X(use_prev_close,    "0/1",   RISK_I,                     161, 0, 1,              0)       /* as reference */ \
    X(margin_bp,         "bp",    RISK_I,                     229, 1, 100 * RISK_BP,  RISK_BP) /* of value */     \
    X(max_credit,        "money", RISK_A | RISK_T | RISK_G,   229, 0, RISK_OFF,       RISK_OFF)                   \
    X(max_turnover,      "money", RISK_A,                     231, 0, RISK_OFF,       RISK_OFF)                   \
    X(otr_max,           "ratio", RISK_S,                     275, 0, INT64_MAX / 2,  100)                        \
    X(otr_start,         "count", RISK_S,                     275, 0, INT64_MAX / 2,  1000)                       \
    X(rep_n,             "count", RISK_S,                     276, 0, RISK_WINDOW_MAX, 50)                        \
    X(rep_w_ns,          "ns",    RISK_S,                     276, 1, RISK_DAY_NS,    60 * NS_PER_S)              \
    X(reject_n,          "count", RISK_S,                     279, 0, RISK_WINDOW_MAX, 100)                       \
    X(reject_w_ns,       "ns",    RISK_S,                     279, 1, RISK_DAY_NS,    10 * NS_PER_S)              \
    X(budget_bp,         "bp",    RISK_V,                     278, 0, RISK_BP,        8000)    /* venue's own */
/* clang-format on */

typedef struct risk_limits {
#define RISK_FIELD_MEMBER(name, unit, scopes, code, min, max, fallback) int64_t name;
    RISK_FIELDS(RISK_FIELD_MEMBER)
#undef RISK_FIELD_MEMBER
} risk_limits_t;

enum {
#define RISK_FIELD_NUMBER(name, unit, scopes, code, min, max, fallback) RISK_FIELD_##name,
    RISK_FIELDS(RISK_FIELD_NUMBER)
#undef RISK_FIELD_NUMBER
        RISK_FIELD_COUNT
};
#define RISK_SETUP_FIELDS 26u /* that a LIMIT_SET carries */

typedef struct risk_field {
    const char *name;
    const char *unit;
    uint32_t    scopes; /* bit 1 << scope_t */
    uint32_t    code;   /* of the check that it bounds */
    int64_t     min;
    int64_t     max;
    int64_t     fallback; /* of risk_limits_default */
} risk_field_t;

/* risk_field: a row of the table, NULL for a number that has none; risk_field_name: "" then. risk_field_find: number of a
 * name, RISK_FIELD_COUNT when there is none. Any thread, O(fields). */
const risk_field_t *risk_field(uint32_t field);
const char         *risk_field_name(uint32_t field);
uint32_t            risk_field_find(const char *name);

typedef struct risk_account_cfg {
    uint64_t
        ccy; /* ccy_pack(): its home currency; what settles in another one needs a rate (155), and a fresh one (162) */
    uint32_t tenant_id;
    int8_t   money_exp;
    uint8_t  may_trade; /* 121 */
    uint8_t  may_short; /* 126 */
    uint8_t  funds;     /* risk_funds_t */
    uint16_t ord_types; /* 127: bit 1 << ord_type_t */
    uint8_t  hedging;   /* long and short stand side by side */
    uint8_t  reserved[5];
    uint64_t venues; /* 125: bit 1 << venue id   */
} risk_account_cfg_t;

typedef struct risk_md { /* what the engine knows of the market; a side that is absent has has_* 0 */
    int64_t bid_px;
    int64_t ask_px;
    int64_t last_px;
    int64_t book_mono_ns; /* receive time of the newest update of the book */
    int64_t last_mono_ns;
    int64_t prev_close;
    int64_t bid_depth; /* visible quantity of the side inside the collar, for 203; 0 = not known */
    int64_t ask_depth;
    uint8_t has_bid;
    uint8_t has_ask;
    uint8_t has_last;
    uint8_t feed_gap; /* 1: a sequence gap is not repaired (book BROKEN or RECOVERING) */
    uint8_t has_prev_close;
    uint8_t reserved[3];
} risk_md_t;

typedef struct risk_in {
    const order_req_t   *req;
    const instrument_t  *ins;    /* of req->instrument_id; NULL = unknown                     */
    const risk_md_t     *md;     /* of that instrument; NULL = nothing known                  */
    const order_t       *target; /* REPLACE, CANCEL: the order of orig_cl_ord_id; NULL = none */
    const order_table_t *orders;
    now_t                now;
    uint64_t             order_seq; /* engine sequence, for the verdict */
    risk_mode_t          mode;
} risk_in_t;

typedef struct risk_soft { /* passed, but a limit is used to soft_bp or more; at most once a second for each limit.
                            * For limits that fill up: 221-224, 226-231, 271-273; and 274 when it is exceeded */
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
    uint32_t    stp; /* with 291: risk_stp_mode_t, what the engine is to do */
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

#define RISK_NEWS_MAX 64u      /* kept until they are taken; a newer one takes the place of the oldest */
#define RISK_OVERRIDES_MAX 64u /* asked for or active at a time */

typedef struct risk_news { /* what risk did by itself */
    uint16_t code;         /* 185: orders of the instrument pause; 276, 279: the strategy is killed */
    uint16_t reserved;
    uint32_t strategy_id;
    uint32_t account_id; /* 276: of the fill */
    uint32_t instrument_id;
    int64_t  observed;
    int64_t  limit;
} risk_news_t;

typedef struct risk_limit_value { /* one field of one scope */
    uint32_t scope_type;          /* scope_t */
    uint32_t id1;                 /* 0 of GLOBAL */
    uint32_t id2;                 /* of pairs: the instrument */
    uint32_t field;
    int64_t  value;
} risk_limit_value_t;

typedef struct risk_override_state {
    uint64_t           change_id;
    risk_limit_value_t raised;
    int64_t            base; /* active: what is in force again at its end */
    int64_t            until_utc_ns;
    uint32_t           asked_by;
    uint32_t           active; /* 0: it was asked for, and waits for another person */
} risk_override_state_t;

typedef struct risk_exposure {
    int64_t pos;
    int64_t buy_open;
    int64_t sell_open;
    int64_t worst_long;  /* L */
    int64_t worst_short; /* K */
    int64_t open_value;  /* money: sum over open orders of the notional of their part */
    int64_t open_orders;
    int64_t long_qty; /* of an account that hedges: its two sides, 0 for all others, */
    int64_t short_qty;
    int64_t close_buy_open; /* and what is open to close them */
    int64_t close_sell_open;
} risk_exposure_t;

typedef struct risk_account_state {
    i128_t   gross; /* money: sums over instruments, at the last marks */
    i128_t   net_long;
    i128_t   net_short;
    i128_t   open_value;
    i128_t   need;         /* margin of the worst case (229, 230) */
    i128_t   traded_value; /* of the trading day (231) */
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
 *   scope_type  GLOBAL (ids 0), TENANT, VENUE, ACCOUNT, STRATEGY, INSTRUMENT (id1), ACCOUNT_INSTRUMENT,
 *               STRATEGY_INSTRUMENT, TENANT_INSTRUMENT (id1 x instrument id2)
 * Returns ERR_OK and limit_version is one higher; ERR_ARG with a sentence that names field, value and bound, and the old
 * set stays in force. Lowering takes effect at once and cancels nothing. A field under an active override: its base
 * changes, and the raised value stays in force while it is the larger one.
 * GLOBAL, TENANT and TENANT_INSTRUMENT need not be set: they bound nothing before. */
void  risk_limits_default(scope_t scope_type, risk_limits_t *limits);
err_t risk_limits_set(risk_t *risk, scope_t scope_type, uint32_t id1, uint32_t id2, const risk_limits_t *limits);

/* risk_limit_looser: does a change of a field let more pass? Of windows, pauses and margins that is the smaller value; of
 * vol_w_ns any other one, since nobody can say. */
bool risk_limit_looser(uint32_t field, int64_t from, int64_t to);

/* risk_limits_change: fields of any scopes as one change, all or none, one new version; the last value of a field counts.
 * A scope that has no set yet gets the defaults for what is not named. Errors as risk_limits_set.
 * O(count * count), count <= 4096 */
err_t risk_limits_change(risk_t *risk, const risk_limit_value_t *values, uint32_t count);

/* risk_limits_known: was a set ever given for this scope (ids as above)? false also for a scope that does not exist.
 * risk_limits_get: that set as it is in force (overrides in place; base: without them); false as before, *out untouched.
 * risk_limit: one field of it; false also when the scope does not have it. */
bool risk_limits_known(const risk_t *risk, scope_t scope_type, uint32_t id1, uint32_t id2);
bool risk_limits_get(const risk_t *risk, scope_t scope_type, uint32_t id1, uint32_t id2, risk_limits_t *out);
bool risk_limits_base(const risk_t *risk, scope_t scope_type, uint32_t id1, uint32_t id2, risk_limits_t *out);
bool risk_limit(const risk_t *risk, scope_t scope_type, uint32_t id1, uint32_t id2, uint32_t field, int64_t *out);

/* Overrides: a raised limit, for one scope and field, with an end, by two persons.
 * risk_override_ask: change_id is new and not 0; value above the limit in force; until after now; one at a time for a
 *   field. risk_override_approve: *by is another than the one who asked, and it has not ended; in force at once, a new
 *   version. risk_override_end: takes one back, asked for or active; the base is in force again, a new version.
 * ERR_OK; ERR_ARG, ERR_NOT_FOUND, ERR_EXISTS, ERR_STATE or ERR_LIMIT with a sentence, and nothing changed.
 * risk_override_due: one whose time has come, for risk_override_end; 0 = none. O(overrides)
 * risk_override_at: the i-th, false beyond the last. */
err_t    risk_override_ask(risk_t *risk, uint64_t change_id, const risk_limit_value_t *raised, int64_t until_utc_ns,
                           uint32_t by, now_t now);
err_t    risk_override_approve(risk_t *risk, uint64_t change_id, uint32_t by, now_t now);
err_t    risk_override_end(risk_t *risk, uint64_t change_id);
uint64_t risk_override_due(const risk_t *risk, now_t now);
bool     risk_override_at(const risk_t *risk, uint32_t i, risk_override_state_t *out);
bool     risk_override_find(const risk_t *risk, uint64_t change_id, risk_override_state_t *out);

/* risk_control: one MSG_CONTROL record. ERR_ARG with a sentence for a kind, scope, id or value that does not exist;
 * nothing changed then. KILL, SESSION, REDUCE_ONLY, RECOVERING, UNRECONCILED, VENUE_LINK, JOURNAL, CLOCK, CLEAR_LATCH,
 * RING_FULL, ENABLE (STRATEGY: ends a kill by 276 or 279, which KILL 0 does not, and counts anew).
 * KILL of a pair (ACCOUNT_INSTRUMENT, STRATEGY_INSTRUMENT, ACCOUNT_VENUE): scope_id is the first of the two, value the
 * second to set it, its negative to clear it.
 */
err_t risk_control(risk_t *risk, const control_t *control);

/* risk_check: the one check. Fills *out. Code 0 = passed, and the request is counted and reserved: the caller must now
 * call order_open, order_replace_sent or order_cancel_sent with out->px and out->px_value. */
void risk_check(risk_t *risk, const risk_in_t *in, risk_out_t *out);

/* risk_crossing: the next order of the request's group that the request, at px (out->px), would trade with; best first.
 * after: the one before it, or ORDER_NONE for the first. ORDER_NONE = no more. */
uint32_t risk_crossing(const risk_t *risk, const order_table_t *orders, const order_req_t *req, int64_t px,
                       uint32_t after);

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

/* risk_mark: new reference price of an instrument: values of the accounts that hold it or have orders of it follow
 * (never strategies). md as for risk_check; ignored while it gives no reference. O(holders)
 * Volatility (185): when it differs from the one vol_w_ns ago by more than vol_bp of that, orders of the instrument pause
 * for vol_pause_ns, which risk_news tells; after the pause the next mark judges again. The reference of vol_w_ns ago is
 * the one in force at the end of the newest slice that ended by then, slices being vol_w_ns / RISK_VOL_SLICES long, rounded
 * up: so it is at most one slice older. No reference that old, no pause. */
void risk_mark(risk_t *risk, const instrument_t *ins, const risk_md_t *md, now_t now);

/* risk_prefetch: asks for the lines that a mark of this instrument, and an order of this strategy and account in it, will
 * read first. Any numbers. */
void risk_prefetch(const risk_t *risk, uint32_t account_id, uint32_t strategy_id, uint32_t instrument_id);

/* risk_holder_next: the next account above account_id that holds the instrument or has open orders of it; 0 = no more. */
uint32_t risk_holder_next(const risk_t *risk, uint32_t instrument_id, uint32_t account_id);

/* Facts that others know better, each at its moment:
 * risk_volume: average day's volume of an instrument (203); 0 = not known.
 * risk_fx_set: one unit of ccy is rate (10^-rate_exp) units of to_ccy, now. ERR_ARG, ERR_LIMIT with a sentence. Values of
 *   what settles in ccy follow with the next mark, fill or order of it. No rate is turned round: tell both directions.
 * risk_depth_px: does 203 look at what is to be seen of an instrument, and is there a reference? Then asks up to *up and bids
 *   down to *down are inside the collar, and risk_md_t says how much stands there.
 * risk_fx_usable: would an order that needs the rate have one (155) that is not too old (162)?
 * risk_equity: an account's equity, and the cash of its home currency that open buys may use (230).
 * risk_budget: what an adapter says of its venue's own limit (278). ERR_ARG with a sentence.
 * risk_day: a trading day begins: turnover (231) and order-to-trade (275) begin with it. O(accounts + strategies *
 *   instruments) */
void  risk_volume(risk_t *risk, uint32_t instrument_id, int64_t adv_qty);
bool  risk_depth_px(const risk_t *risk, const instrument_t *ins, const risk_md_t *md, now_t now, int64_t *up,
                    int64_t *down);
bool  risk_fx_usable(const risk_t *risk, uint64_t ccy, uint64_t to_ccy, now_t now);
err_t risk_fx_set(risk_t *risk, uint64_t ccy, uint64_t to_ccy, int64_t rate, int8_t rate_exp, now_t now);
void  risk_equity(risk_t *risk, uint32_t account_id, int64_t equity, int64_t cash_free);
err_t risk_budget(risk_t *risk, const venue_budget_t *budget, now_t now);
void  risk_day(risk_t *risk);

/* risk_traded: a booked execution (not a bust) of a strategy, for 275 and 276: more than rep_n of one strategy,
 * instrument and side within rep_w_ns kill the strategy until CONTROL_ENABLE. Beside risk_exec, which has no time. O(1)
 * risk_rejected: a denial of a request of a strategy before risk_check (which counts its own): more than reject_n within
 * reject_w_ns kill it likewise (279). A strategy that is killed counts no more. O(1)
 * risk_news: takes the oldest piece of news; false = none. */
void risk_traded(risk_t *risk, const order_effect_t *effect, now_t now);
void risk_rejected(risk_t *risk, uint32_t strategy_id, now_t now);
bool risk_news(risk_t *risk, risk_news_t *out);

/* risk_loss: judge an account's profit and loss (J): on each fill and mark, at least every 100 ms.
 * WARN at 80 % of a loss limit; STOP at 100 %: latched, acts as reduce-only with its own code until
 * CONTROL_CLEAR_LATCH; KILL at 120 %, or 60 s after STOP when the loss is larger than it was then: the account's kill
 * flag is set. Drawdown is from the highest equity since the start of the trading day. An account without limits gives
 * NONE. *event: the gravest news; each level is told once per latch, WARN at most once a second. O(1) */
void risk_loss(risk_t *risk, uint32_t account_id, const risk_pnl_t *pnl, now_t now, risk_loss_event_t *event);

/* Reading. False when the account, strategy or instrument does not exist (out untouched). */
bool risk_exposure(const risk_t *risk, uint32_t account_id, uint32_t instrument_id, risk_exposure_t *out);
bool risk_strategy_exposure(const risk_t *risk, uint32_t strategy_id, uint32_t instrument_id, risk_exposure_t *out);
bool risk_account_state(const risk_t *risk, uint32_t account_id, risk_account_state_t *out);
/* risk_strategy_killed: by CONTROL, or by 276 or 279; false also when there is none. */
bool risk_strategy_killed(const risk_t *risk, uint32_t strategy_id);
bool risk_venue_state(const risk_t *risk, uint32_t venue_id, risk_venue_state_t *out);
/* risk_account_code: why the account as a whole cannot open positions: 141, 142, 143, 150 or 251-253, 151, 152; 0 = it
 * can, or there is none. */
uint16_t      risk_account_code(const risk_t *risk, uint32_t account_id);
risk_counts_t risk_counts(const risk_t *risk);
uint32_t      risk_limit_version(const risk_t *risk);

/* risk_hash: the whole state, O(footprint). */
uint64_t risk_hash(uint64_t hash, const risk_t *risk);
