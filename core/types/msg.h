/* msg: every message that enters or leaves the engine, as plain C structs.
 *
 * These structs ARE the wire: ipc/schema/hwal.fbs declares each one again as a FlatBuffers struct of the same name in
 * CamelCase, and the generated code pins size and every offset to the ones below with static assertions. A message in
 * a ring, a file or a journal is a FlatBuffers table with one of these inline and at most one tail vector, so the
 * engine reads it where it lies and nothing is converted.
 *
 * Rules of all of them: little endian; 8-aligned; no padding that a compiler chooses (reserved fields are zero and
 * stay zero); structs never change once released, new facts get a new struct. Because there is no padding, hashing a
 * struct's bytes is hashing its fields.
 *
 * Units    px, qty: int64 in 10^-px_exp, 10^-qty_exp of the instrument (core/ref/instrument.h). Money: int64 in
 *          10^-money_exp of its currency. Times: *_ns is nanoseconds; ts_* are UTC since the Unix epoch, and say whose
 *          clock: ts_event (venue), ts_recv (first byte at our socket). Venue and receiver clocks may disagree: a
 *          difference of two clocks is signed, and nothing here assumes its sign.
 * Words    FIX; the tag stands in the comment. Denied = refused by us, Rejected = refused by the venue.
 * Ids      tenant, account, strategy, venue, instrument ids are small dense integers from 1; 0 means none.
 *
 * C++      the file is C and C++ alike: it is installed as <hwal/msg.h>.
 *
 * Source   FIX 4.4/5.0 SP2 field names; enum values of FIX where they are single characters. */
#pragma once

#include <assert.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

/* ---- message types (the schema id in a slot's metadata) ---------------------------------------------------------- */
typedef enum msg_type {
    MSG_NONE                 = 0,
    MSG_INSTRUMENT_DEF       = 1,  /* in:  instrument_def_t, symbol text, tick_band_t tail                    */
    MSG_BOOK_UPDATE          = 2,  /* in:  book_update_t, level_t tail (bids first, then asks)                */
    MSG_TRADE                = 3,  /* in:  trade_t                                                            */
    MSG_TOP                  = 4,  /* in:  top_t, the venue's own best-quote stream; also our published top   */
    MSG_ORDER_REQUEST        = 5,  /* in:  from a lane; out: accepted, for the adapter                        */
    MSG_EXEC_REPORT          = 6,  /* in:  from the adapter; out: what was booked                             */
    MSG_VERDICT              = 7,  /* out: the answer of risk to one order request                            */
    MSG_POSITION             = 8,  /* out: after each booked fill                                             */
    MSG_TICK                 = 9,  /* in:  time                                                               */
    MSG_FEED_STATE           = 10, /* in: an adapter says that a feed broke, recovers or lives               */
    MSG_CONTROL              = 11, /* in: operator: kill flags, session states, links, reduce-only           */
    MSG_ALARM                = 12, /* out: something a person must see (over-fill, unknown order, feed gap)  */
    MSG_BOOT                 = 13, /* in:  an engine life begins: epoch, clocks                               */
    MSG_ACCOUNT_DEF          = 14, /* in:  an account and the money it begins with                            */
    MSG_LIMIT_SET            = 15, /* in:  the risk limits of one scope                                       */
    MSG_ORDER_STATUS_REQUEST = 16, /* out: for the adapter: what became of this order?                  */
    MSG_MASS_STATUS_REQUEST  = 17, /* out: for the adapter: fills since, positions, balances            */
    MSG_MASS_STATUS          = 18, /* in:  the venue's figures, and the end of the list                 */
    MSG_SNAPSHOT_REQUEST     = 19, /* out: for the adapter: this book needs a snapshot                  */
    MSG_ORDER                = 20, /* published record: one order as it stands                          */
    MSG_ACCOUNT              = 21, /* published record: one account's money and state                   */
    MSG_LOG                  = 22, /* a role's own words: text                                          */
    MSG_LANE                 = 23, /* in:  a client's lane opens or closes; also what the client is told   */
    MSG_RISK_CHECK_REQUEST   = 24, /* lane: would this pass? Neither journaled nor sent                    */
    MSG_RISK_CHECK_RESPONSE  = 25, /* lane: the answer                                                     */
    MSG_MBO_UPDATE           = 26, /* in:  mbo_update_t, mbo_entry_t tail (in the venue's order)              */
    MSG_STATISTICS           = 27, /* published record: an instrument's trading day so far                  */
    MSG_TYPE_COUNT
} msg_type_t;

/* ---- enums on the wire ------------------------------------------------------------------------------------------- */
typedef enum side { SIDE_NONE = 0, SIDE_BUY = 1, SIDE_SELL = 2 } side_t; /* 54  */
typedef enum ord_type {                                                  /* 40  */
                        ORD_TYPE_NONE          = 0,
                        ORD_TYPE_MARKET        = 1,
                        ORD_TYPE_LIMIT         = 2,
                        ORD_TYPE_STOP          = 3, /* 3 to 6: core/match knows them, the gate of risk denies them */
                        ORD_TYPE_STOP_LIMIT    = 4,
                        ORD_TYPE_TRAILING_STOP = 5, /* 5, 6: ours; FIX says P with 388, 389, 836 for both */
                        ORD_TYPE_TRAILING_STOP_LIMIT = 6
} ord_type_t;
typedef enum tif { /* 59, ours = FIX + 1 */
                   TIF_NONE = 0,
                   TIF_DAY  = 1,
                   TIF_GTC  = 2,
                   TIF_IOC  = 4,
                   TIF_FOK  = 5,
                   TIF_GTD  = 7 /* core/match knows it, the gate of risk denies it */
} tif_t;
enum { EXEC_INST_POST_ONLY = 1, EXEC_INST_REDUCE_ONLY = 2 }; /* 18: 6, E */
typedef enum order_action {
    ORDER_ACTION_NONE    = 0,
    ORDER_ACTION_NEW     = 1,
    ORDER_ACTION_REPLACE = 2,
    ORDER_ACTION_CANCEL  = 3
} order_action_t;         /* 35: D, G, F */
typedef enum ord_status { /* 39 (ASCII as FIX) */
                          ORD_STATUS_NONE             = 0,
                          ORD_STATUS_NEW              = '0',
                          ORD_STATUS_PARTIALLY_FILLED = '1',
                          ORD_STATUS_FILLED           = '2',
                          ORD_STATUS_CANCELED         = '4',
                          ORD_STATUS_PENDING_CANCEL   = '6',
                          ORD_STATUS_REJECTED         = '8',
                          ORD_STATUS_PENDING_NEW      = 'A',
                          ORD_STATUS_EXPIRED          = 'C',
                          ORD_STATUS_PENDING_REPLACE  = 'E',
                          ORD_STATUS_UNKNOWN = 'U' /* ours: sent, and the venue's answer is not known; counts as open */
} ord_status_t;
typedef enum exec_type { /* 150 (ASCII as FIX) */
                         EXEC_TYPE_NONE           = 0,
                         EXEC_TYPE_NEW            = '0',
                         EXEC_TYPE_CANCELED       = '4',
                         EXEC_TYPE_REPLACED       = '5',
                         EXEC_TYPE_REJECTED       = '8',
                         EXEC_TYPE_EXPIRED        = 'C',
                         EXEC_TYPE_TRADE          = 'F',
                         EXEC_TYPE_TRADE_CANCEL   = 'H',
                         EXEC_TYPE_ORDER_STATUS   = 'I',
                         EXEC_TYPE_CANCEL_REJECT  = '9', /* 35=9 in FIX; one report type here */
                         EXEC_TYPE_REPLACE_REJECT = 'R', /* likewise */
                         EXEC_TYPE_UNSENT         = 'N', /* ours: the adapter never let it leave */
                         EXEC_TYPE_TIMEOUT =
                             'T' /* ours: no answer in time, or the link was lost: the order is UNKNOWN */
} exec_type_t;
typedef enum liquidity { LIQUIDITY_NONE = 0, LIQUIDITY_MAKER = 1, LIQUIDITY_TAKER = 2 } liquidity_t; /* 851 */

/* ---- market data ------------------------------------------------------------------------------------------------- */
typedef struct level {
    int64_t px;
    int64_t qty; /* absolute, not a delta; 0 removes the level */
} level_t;

#define BOOK_UPDATE_MAX_LEVELS 64 /* a message; larger venue messages travel as several, FIRST and LAST flagged */

enum {
    BOOK_FLAG_SNAPSHOT = 1, /* replaces the book: FIRST clears it                        */
    BOOK_FLAG_FIRST    = 2, /* first part of a venue message                            */
    BOOK_FLAG_LAST     = 4
}; /* last part: only after it is the book consistent          */

typedef struct book_update { /* levels: bid_count bids, then ask_count asks, best first not required */
    uint32_t instrument_id;
    uint32_t flags;           /* BOOK_FLAG_*                                                                  */
    uint64_t rpt_seq;         /* 83: consecutive per instrument over all its BOOK_UPDATEs, from the adapter   */
    uint64_t venue_seq_first; /* venue's first update id of the whole message (Binance U)                     */
    uint64_t venue_seq;       /* venue's last update id of the whole message (Binance u, lastUpdateId)        */
    int64_t  ts_event_ns;     /* 0 when the venue sends none                                                  */
    int64_t  ts_recv_ns;
    uint16_t bid_count;
    uint16_t ask_count;
    uint32_t reserved;
} book_update_t;

typedef enum mbo_action { /* 279, but for FILL */
                          MBO_NONE   = 0,
                          MBO_ADD    = 1, /* a new order at the tail of its level                                */
                          MBO_MODIFY = 2, /* px and what is left; same price and no more: keeps its place, else tail */
                          MBO_CANCEL = 3, /* qty is taken off; none left = it is gone                            */
                          MBO_FILL   = 4  /* likewise, by a trade                                                */
} mbo_action_t;

typedef struct mbo_entry { /* what became of one order */
    uint64_t order_id;     /* 37: the venue's; any but 0 */
    int64_t  px;           /* of CANCEL and FILL the order's, or 0 where the venue does not say */
    int64_t  qty;
    uint8_t  action; /* mbo_action_t */
    uint8_t  side;   /* side_t; 0 where the venue does not say and action is no ADD */
    uint16_t reserved;
    uint32_t reserved2;
} mbo_entry_t;

#define MBO_UPDATE_MAX_ENTRIES 32 /* a message; larger venue messages travel as several, FIRST and LAST flagged */

typedef struct mbo_update { /* an instrument's market data are BOOK_UPDATEs or these */
    uint32_t instrument_id;
    uint32_t flags;           /* BOOK_FLAG_*: SNAPSHOT | FIRST clears the book                                */
    uint64_t rpt_seq;         /* 83: consecutive per instrument over all its MBO_UPDATEs, from the adapter    */
    uint64_t venue_seq_first; /* as in book_update_t                                                          */
    uint64_t venue_seq;
    int64_t  ts_event_ns; /* 0 when the venue sends none */
    int64_t  ts_recv_ns;
    uint16_t entry_count;
    uint16_t reserved;
    uint32_t reserved2;
} mbo_update_t;

typedef struct trade {
    uint32_t instrument_id;
    uint8_t  aggressor_side; /* side_t of the taker; 0 unknown */
    uint8_t  reserved;
    uint16_t reserved2;
    uint64_t trade_id; /* 880: the venue's */
    int64_t  px;
    int64_t  qty;
    int64_t  ts_event_ns;
    int64_t  ts_recv_ns;
} trade_t;

typedef struct top {
    uint32_t instrument_id;
    uint32_t reserved;
    uint64_t venue_seq; /* update id that this quote belongs to */
    int64_t  bid_px;    /* qty 0 = side is empty, then px is 0 */
    int64_t  bid_qty;
    int64_t  ask_px;
    int64_t  ask_qty;
    int64_t  ts_event_ns;
    int64_t  ts_recv_ns;
} top_t;

typedef enum feed_health {
    FEED_NONE       = 0,
    FEED_LIVE       = 1,
    FEED_STALE      = 2,
    FEED_BROKEN     = 3,
    FEED_RECOVERING = 4
} feed_health_t;
typedef enum feed_reason {
    FEED_REASON_NONE = 0,
    FEED_REASON_START,   /* no snapshot yet                                        */
    FEED_REASON_GAP,     /* the venue's sequence jumped                            */
    FEED_REASON_GARBLED, /* a message that could not be read                       */
    FEED_REASON_SCALE,   /* a price or quantity finer than the instrument's scale  */
    FEED_REASON_LOST,    /* our own ring lapped, or the capture was cut            */
    FEED_REASON_CROSSED, /* the book was crossed after a complete message          */
    FEED_REASON_LIMIT,   /* more levels than the book was sized for                */
    FEED_REASON_AGE,     /* nothing heard for too long                             */
    FEED_REASON_COUNT
} feed_reason_t;

typedef struct feed_state {
    uint32_t instrument_id;
    uint8_t  health; /* feed_health_t */
    uint8_t  reason; /* feed_reason_t */
    uint16_t reserved;
    uint64_t seq_from; /* first and last venue id known to be missing; 0 when not known */
    uint64_t seq_to;
    int64_t  ts_recv_ns;
} feed_state_t;

/* ---- reference data ---------------------------------------------------------------------------------------------- */
typedef enum instrument_kind {
    INSTRUMENT_KIND_NONE = 0,
    INSTRUMENT_SPOT      = 1,
    INSTRUMENT_LINEAR    = 2, /* value = px * qty * mult, in the settlement currency (USD-M)            */
    INSTRUMENT_INVERSE   = 3  /* value = qty * mult / px, in the base currency (COIN-M)                 */
} instrument_kind_t;

typedef struct tick_band { /* from px_from upwards (until the next band) prices are multiples of tick */
    int64_t px_from;
    int64_t tick;
} tick_band_t;

#define SYMBOL_MAX 23 /* bytes of a symbol, without the end */

typedef struct instrument_def {
    uint32_t instrument_id; /* 0 from an adapter: the engine assigns */
    uint16_t venue_id;
    uint8_t  kind;           /* instrument_kind_t */
    uint8_t  allow_negative; /* prices may be zero or negative */
    int8_t   px_exp;
    int8_t   qty_exp;
    int8_t   money_exp; /* scale of the settlement currency */
    int8_t   mult_exp;
    uint32_t reserved;
    uint64_t settle_ccy;   /* 15: up to 8 letters, first letter in the lowest byte (ccy_pack)   */
    int64_t  lot;          /* 561: qty is a multiple of it                                      */
    int64_t  min_qty;      /* 562                                                               */
    int64_t  min_notional; /* money; 0 = none                                                   */
    int64_t  mult;         /* 231: contract multiplier in 10^-mult_exp; 1 and 0 for spot        */
    int64_t  band_lower;   /* 1148, 1149: static price band of the venue; 0,0 = none            */
    int64_t  band_upper;
} instrument_def_t;

/* ---- orders ------------------------------------------------------------------------------------------------------ */
typedef struct order_req {
    uint64_t cl_ord_id;      /* 11: unique for ever in an instance; see core/types/ids.h            */
    uint64_t orig_cl_ord_id; /* 41: the target of REPLACE and CANCEL; 0 for NEW                     */
    uint64_t corr_hi;        /* correlation id, from signal to fill. The engine's own: engine sequence of the input */
    uint64_t corr_lo;        /* that gave the signal, and its ts_recv_ns                                         */
    uint32_t tenant_id;
    uint32_t account_id; /* 1   */
    uint32_t strategy_id;
    uint32_t instrument_id;   /* 55  */
    int64_t  px;              /* 44: 0 for MARKET when it comes in; the collar price when it goes out */
    int64_t  qty;             /* 38: for REPLACE the new total quantity                               */
    int64_t  created_mono_ns; /* monotonic time at which the request was made                       */
    uint8_t  action;          /* order_action_t */
    uint8_t  side;            /* side_t         */
    uint8_t  ord_type;        /* ord_type_t     */
    uint8_t  tif;             /* tif_t          */
    uint16_t exec_inst;       /* EXEC_INST_*    */
    uint16_t reserved;
} order_req_t;

typedef struct exec_report {
    uint64_t cl_ord_id;  /* 11: ours, 0 when the venue does not say                                */
    uint64_t exec_id_hi; /* 17: the venue's id of this event; text ids are folded to 128 bits      */
    uint64_t exec_id_lo;
    uint64_t order_id_hi; /* 37: the venue's id of the order */
    uint64_t order_id_lo;
    uint64_t corr_hi;
    uint64_t corr_lo;
    uint32_t account_id;
    uint32_t strategy_id;
    uint32_t instrument_id;
    uint8_t  exec_type;      /* 150 */
    uint8_t  ord_status;     /* 39: the venue's word, or NONE when it sends none */
    uint8_t  side;           /* 54  */
    uint8_t  last_liquidity; /* 851 */
    int64_t  last_px;        /* 31  */
    int64_t  last_qty;       /* 32  */
    int64_t  cum_qty;        /* 14: -1 when the venue does not say */
    int64_t  leaves_qty;     /* 151: -1 likewise */
    int64_t  order_qty;      /* 38: REPLACED: the new total */
    int64_t  px;             /* 44: REPLACED: the new price */
    int64_t  fee;            /* money, settlement currency of the instrument; negative = rebate */
    int64_t  ts_event_ns;    /* 60  */
    int64_t  ts_recv_ns;
    uint32_t reject_code; /* 103/102: the venue's number */
    uint32_t reserved;
} exec_report_t;

typedef enum scope {
    SCOPE_NONE = 0,
    SCOPE_GLOBAL,
    SCOPE_TENANT,
    SCOPE_ACCOUNT,
    SCOPE_STRATEGY,
    SCOPE_INSTRUMENT,
    SCOPE_VENUE,
    SCOPE_ACCOUNT_INSTRUMENT,
    SCOPE_STRATEGY_INSTRUMENT,
    SCOPE_ACCOUNT_VENUE,
    SCOPE_COUNT
} scope_t;

typedef struct verdict { /* what a denial says: code, where, observed against limit */
    uint64_t cl_ord_id;
    uint64_t order_seq; /* engine sequence of the input that carried the request */
    int64_t  observed;
    int64_t  limit;
    int64_t  engine_utc_ns;
    uint32_t scope_id; /* id in scope_type; for pairs the first of the two */
    uint32_t instrument_id;
    uint32_t account_id;
    uint32_t strategy_id;
    uint32_t limit_version; /* of the limit set that was used */
    uint16_t code;          /* 0 ACCEPTED, else core/risk/risk_code.h */
    uint8_t  scope_type;    /* scope_t */
    uint8_t  action;        /* order_action_t */
} verdict_t;

typedef struct position {
    uint32_t account_id;
    uint32_t instrument_id;
    int64_t  qty;        /* signed */
    int64_t  cost;       /* money: what the open position cost, signed; avg px = cost / qty     */
    int64_t  realised;   /* money */
    int64_t  unrealised; /* money, at mark_px */
    int64_t  fees;       /* money paid, positive = paid */
    int64_t  funding;    /* money received, positive = received */
    int64_t  mark_px;
    uint64_t event_seq;
} position_t;

/* ---- time, control, alarms --------------------------------------------------------------------------------------- */
typedef struct tick {
    int64_t mono_ns;
    int64_t utc_ns;
} tick_t;

typedef enum control_kind {
    CONTROL_NONE = 0,
    CONTROL_KILL,         /* scope_type/scope_id; value 1 sets, 0 clears                        */
    CONTROL_SESSION,      /* scope INSTRUMENT or VENUE; value: session_t                        */
    CONTROL_REDUCE_ONLY,  /* scope ACCOUNT; value 1/0                                           */
    CONTROL_RECOVERING,   /* scope ACCOUNT; value 1 = journal replay or reconciliation unfinished (151)   */
    CONTROL_UNRECONCILED, /* scope ACCOUNT; value 1 = 152                                       */
    CONTROL_VENUE_LINK,   /* scope VENUE; value 1 up, 0 down (153)                              */
    CONTROL_JOURNAL,      /* value 1 writable, 0 not (154)                                      */
    CONTROL_CLOCK,        /* value 1 trusted, 0 not (156)                                       */
    CONTROL_CLEAR_LATCH,  /* scope ACCOUNT: a named person lifts a latched loss                 */
    CONTROL_RING_FULL,    /* scope VENUE; value 1: no room on the way to its adapter (158)       */
    CONTROL_KIND_COUNT
} control_kind_t;
typedef enum session {
    SESSION_NONE = 0,
    SESSION_OPEN,
    SESSION_CLOSED,
    SESSION_PRE_OPEN,
    SESSION_HALTED,
    SESSION_CANCEL_ONLY
} session_t;

typedef struct control {
    uint32_t scope_id;
    uint8_t  kind;       /* control_kind_t */
    uint8_t  scope_type; /* scope_t */
    uint16_t reserved;
    int64_t  value;
} control_t;

typedef enum alarm_kind {
    ALARM_NONE = 0,
    ALARM_FILL_AFTER_DONE,
    ALARM_UNKNOWN_ORDER_FILL,
    ALARM_SIDE_MISMATCH,
    ALARM_FILL_GAP,
    ALARM_QUERY_SENT,
    ALARM_CUM_BACKWARDS,
    ALARM_BAD_FILL,
    ALARM_BAD_FILL_PRICE,
    ALARM_WORSE_THAN_LIMIT,
    ALARM_BUST,
    ALARM_UNKNOWN_EXEC,
    ALARM_UNSOLICITED_CANCEL,
    ALARM_ALIEN_ORDER,
    ALARM_ACCOUNT_UNRECONCILED,
    ALARM_OVERFILL,
    ALARM_FEED,
    ALARM_SOFT_LIMIT,
    ALARM_LOSS,
    ALARM_LIMIT,
    ALARM_KIND_COUNT
} alarm_kind_t;

typedef struct alarm {
    uint64_t cl_ord_id;
    int64_t  observed;
    int64_t  limit;
    int64_t  engine_utc_ns;
    uint32_t instrument_id;
    uint32_t account_id;
    uint16_t kind; /* alarm_kind_t */
    uint16_t code; /* risk code or feed_reason_t, by kind */
    uint32_t reserved;
} alarm_t;

/* ---- lives, accounts, limits ------------------------------------------------------------------------------------- */
enum { BOOT_ORDERS_UNKNOWN = 1 }; /* what was sent and taken is not known any more: every open order is UNKNOWN */

typedef struct boot {        /* the first input of every engine life; before it no order leaves */
    uint32_t epoch;          /* of ClOrdIDs from here on; above every epoch before it */
    uint32_t flags;          /* BOOT_*                                                */
    int64_t  mono_offset_ns; /* engine time = CLOCK_MONOTONIC + this: it goes on over a reboot of the machine */
    uint64_t session;        /* of the journal: random, one for all its files                                 */
} boot_t;

typedef struct account_def {
    uint32_t account_id; /* 1: ids from 1 in order */
    uint32_t tenant_id;
    uint64_t ccy;     /* ccy_pack */
    int64_t  initial; /* money   */
    int8_t   money_exp;
    uint8_t  reserved;
    uint16_t reserved2;
    uint32_t reserved3;
} account_def_t;

typedef struct limit_set { /* the fields from max_qty on are risk_limits_t (core/risk/risk.h), in its order */
    uint32_t scope_id;
    uint32_t scope_id2; /* of pairs: the instrument */
    uint8_t  scope_type;
    uint8_t  reserved;
    uint16_t reserved2;
    uint32_t reserved3;
    int64_t  max_qty, max_value, max_md_age_ns, max_spread_bp, collar_bp, far_bp, max_long, max_short, max_gross,
        max_net;
    int64_t concentration_bp, max_open_orders, max_open_value, max_day_loss, max_realised_loss, max_drawdown;
    int64_t rate_n, rate_w_ns, msg_n, msg_w_ns, cancel_n, cancel_w_ns, value_w_max, value_w_ns, dup_n, dup_w_ns;
} limit_set_t;

/* ---- what became of it: queries to a venue and their answers (answers on orders and fills are EXEC_REPORTs) -------- */
typedef struct order_status_req { /* 35=H */
    uint64_t cl_ord_id;
    uint64_t order_id_hi;
    uint64_t order_id_lo;
    uint32_t account_id;
    uint32_t instrument_id;
} order_status_req_t;

typedef struct mass_status_req { /* 35=AF: open orders, fills since, positions, balances of one account at one venue */
    uint64_t request_id;
    int64_t  since_utc_ns; /* venue's clock: executions from here on; some of them will be known already */
    uint32_t account_id;
    uint16_t venue_id;
    uint16_t reserved;
} mass_status_req_t;

typedef enum mass_status_kind {
    MASS_STATUS_NONE = 0,
    MASS_STATUS_POSITION, /* qty of instrument_id as the venue counts it                                     */
    MASS_STATUS_BALANCE,  /* amount: change of cash by trading (fees taken off) in the currency ccy; informative */
    MASS_STATUS_END,      /* all fills and positions were told; instruments that were not named are flat      */
    MASS_STATUS_FAILED,   /* the venue could not be asked; the account stays as it is                         */
    MASS_STATUS_KIND_COUNT
} mass_status_kind_t;

typedef struct mass_status {
    uint64_t request_id;
    uint64_t ccy;
    int64_t  qty;
    int64_t  amount;
    uint32_t account_id;
    uint32_t instrument_id;
    uint16_t venue_id;
    uint8_t  kind; /* mass_status_kind_t */
    uint8_t  reserved;
    uint32_t reserved2;
} mass_status_t;

typedef struct snapshot_req {
    alignas(8) uint32_t instrument_id; /* hot tables hold 8-aligned structs */
    uint8_t  reason;                   /* feed_reason_t */
    uint8_t  reserved;
    uint16_t reserved2;
} snapshot_req_t;

/* ---- published records -------------------------------------------------------------------------------------------- */
typedef struct order_record { /* order_t (core/order) for readers */
    uint64_t cl_ord_id;
    uint64_t order_id_hi;
    uint64_t order_id_lo;
    uint64_t corr_hi;
    uint64_t corr_lo;
    int64_t  px;
    int64_t  avg_px; /* 6: of what is filled, rounded towards zero; 0 before the first fill */
    int64_t  order_qty;
    int64_t  cum_qty;
    int64_t  leaves_qty;
    uint64_t event_seq;
    uint32_t account_id;
    uint32_t instrument_id;
    uint32_t tenant_id;
    uint32_t strategy_id;
    uint8_t  side;
    uint8_t  ord_status;
    uint8_t  ord_type;
    uint8_t  tif;
    uint16_t exec_inst;
    uint16_t reserved;
} order_record_t;

typedef struct account_record {
    uint64_t ccy;
    int64_t  initial;
    int64_t  cash;
    int64_t  realised;
    int64_t  unrealised;
    int64_t  fees;
    int64_t  funding;
    int64_t  equity;
    int64_t  pnl_day;
    int64_t  drawdown;
    int64_t  gross; /* worst case exposure */
    int64_t  net;
    int64_t  open_value;
    int64_t  open_orders;
    uint64_t event_seq;
    uint32_t account_id;
    uint32_t tenant_id;
    int8_t   money_exp;
    uint8_t  reserved;
    uint16_t state_code; /* why it does not trade freely: a risk code (143, 150, 151, 152, 251 ...), 0 = it does */
    uint32_t reserved2;
} account_record_t;

enum { STATISTICS_OVERFLOW = 1 }; /* volume or turnover ended before the day did: they are those up to there */

/* an instrument's trading day so far (core/book/statistics.h); prices are 0 before its first trade */
typedef struct statistics {
    uint32_t instrument_id;
    uint32_t flags;          /* STATISTICS_*                                                     */
    int64_t  day_utc_ns;     /* when the day began                                               */
    int64_t  open_px;        /* of the first trade                                               */
    int64_t  high_px;        /* 332                                                              */
    int64_t  low_px;         /* 333                                                              */
    int64_t  last_px;        /* 31: of the newest trade of the day                               */
    int64_t  last_qty;       /* 32                                                               */
    int64_t  last_ts_ns;     /* its ts_event_ns, or ts_recv_ns where the venue sends none        */
    int64_t  prev_close_px;  /* 140: last_px of the day before that had trades                   */
    int64_t  prev_close_qty; /* its last_qty; 0: no such day is known                            */
    int64_t  volume;         /* 387                                                              */
    int64_t  turnover_hi;    /* 381: sum of px * qty in 10^-(px_exp + qty_exp), 128 bits, signed */
    uint64_t turnover_lo;
    int64_t  vwap_px;   /* turnover / volume, rounded towards zero                          */
    uint64_t trades;    /* how many                                                         */
    uint64_t uncounted; /* TRADEs of days before, or without a quantity or a price: in nothing above */
    uint64_t event_seq;
} statistics_t;

typedef enum log_level { LOG_NONE = 0, LOG_INFO, LOG_WARN, LOG_ERROR } log_level_t;

#define LOG_TEXT_MAX 400 /* bytes of a text, without the end */

typedef struct log_record {
    int64_t  utc_ns;
    uint32_t count; /* how often since it was last written */
    uint8_t  level; /* log_level_t */
    uint8_t  reserved;
    uint16_t reserved2;
} log_record_t;

/* ---- the head of a journal record (table Record): where an input came from, and what became of it ------------------- */
typedef enum record_kind { RECORD_NONE = 0, RECORD_INPUT = 1, RECORD_OUTPUT = 2 } record_kind_t;
typedef enum record_source {
    RECORD_SOURCE_NONE   = 0,
    RECORD_SOURCE_ENGINE = 1, /* made by the engine's own process: time, set-up, kill words */
    RECORD_SOURCE_MD     = 2,
    RECORD_SOURCE_EXEC   = 3,
    RECORD_SOURCE_CMD    = 4
} record_source_t;

typedef struct record_head {
    uint64_t output_hash; /* INPUT: engine_output_hash after it */
    uint64_t source_seq;  /* INPUT: the message's position in the ring it came from, from 1; 0 = none */
    uint32_t source_gen;  /* INPUT: whose ring: the generation of the writer's segment */
    uint32_t outputs;     /* INPUT: OUTPUT records that follow it */
    uint8_t  kind;        /* record_kind_t */
    uint8_t  source;      /* record_source_t */
    uint16_t reserved;
    uint32_t err; /* INPUT: err_t that engine_apply answered: 0, or the input named nothing we know */
} record_head_t;

/* ---- lanes: clients in processes of their own (ipc/lane.h) --------------------------------------------------------- */
typedef enum lane_state { LANE_NONE = 0, LANE_OPEN, LANE_CLOSED, LANE_STATE_COUNT } lane_state_t;

typedef enum lane_reason {
    LANE_REASON_NONE = 0, /* it is open                                              */
    LANE_REASON_RELEASED, /* the client gave it back                                 */
    LANE_REASON_DEAD,     /* the client's process ended without giving it back       */
    LANE_REASON_RSP_FULL, /* the client did not read its answers                     */
    LANE_REASON_DAMAGED,  /* its memory is no ring any more                          */
    LANE_REASON_MISUSED,  /* a message that no client may send                       */
    LANE_REASON_RESTART,  /* the engine began a new life: leases end with the old one */
    LANE_REASON_STOP,     /* the engine stops                                        */
    LANE_REASON_COUNT
} lane_reason_t;

enum { LANE_RIGHT_CHECK = 1, LANE_RIGHT_ORDER = 2 }; /* ask risk; send, change and cancel its own orders */

/* what becomes of its orders at the close; an orderly stop of the engine cancels everybody's */
typedef enum lane_policy { LANE_CANCEL = 0, LANE_KEEP = 1 } lane_policy_t;

typedef struct lane {
    uint64_t lease;     /* one number for each lease, rising, never used twice in an instance's journal       */
    uint64_t accounts;  /* that it may use: bit 1 << account id                                               */
    uint64_t first_seq; /* told to the client: sequence of its first ClOrdID; 0 in the record of the journal  */
    uint32_t lane_id;   /* the client's place in the configuration, from 1                                    */
    uint32_t tenant_id;
    uint32_t strategy_id; /* whose positions and limits; also the origin of its ClOrdIDs (core/types/ids.h)     */
    uint32_t epoch;       /* of its ClOrdIDs; 0 in the record of the journal: the life's own                    */
    uint32_t uid;         /* of the process that holds it, as the kernel says                                   */
    uint32_t pid;
    uint16_t rights;   /* LANE_RIGHT_* */
    uint8_t  state;    /* lane_state_t */
    uint8_t  reason;   /* lane_reason_t */
    uint8_t  on_close; /* lane_policy_t */
    uint8_t  reserved;
    uint16_t reserved2;
} lane_t;

typedef struct risk_check_req {
    uint64_t corr_hi; /* comes back */
    uint64_t corr_lo;
    uint64_t portfolio_version; /* event_seq of what the caller looked at, 0 = none: for the caller's own comparison */
    int64_t  px;                /* 0 for MARKET */
    int64_t  qty;
    uint32_t account_id; /* the portfolio */
    uint32_t instrument_id;
    uint8_t  side;     /* side_t     */
    uint8_t  ord_type; /* ord_type_t */
    uint8_t  tif;      /* tif_t      */
    uint8_t  reserved;
    uint16_t exec_inst; /* EXEC_INST_* */
    uint16_t reserved2;
} risk_check_req_t;

typedef struct risk_check_resp {
    uint64_t corr_hi;
    uint64_t corr_lo;
    uint64_t portfolio_version; /* engine sequence that was judged                                     */
    int64_t  adjusted_qty;      /* the most that would pass, at most what was asked; 0 = nothing would */
    int64_t  px;                /* as it would be sent: MARKET = the collar                            */
    int64_t  observed;          /* of a denial, as in verdict_t                                        */
    int64_t  limit;
    int64_t  engine_utc_ns;
    uint32_t scope_id;
    uint32_t instrument_id;
    uint32_t account_id;
    uint32_t limit_version;
    uint16_t code;       /* 0 ACCEPTED, else core/risk/risk_code.h: the reason */
    uint16_t risk_score; /* of what was asked: use of the limit that is used most, in 1/100 percent, 0..10000 */
    uint8_t  approved;   /* 1 = the whole quantity would pass now; nothing is reserved */
    uint8_t  scope_type; /* scope_t */
    uint16_t reserved;
} risk_check_resp_t;

/* ---- a message where it lies ------------------------------------------------------------------------------------- */
typedef struct msg { /* a view: body and tail point into a ring slot, a file or a caller's buffer */
    msg_type_t  type;
    uint32_t    tail_count; /* elements of tail: level_t, mbo_entry_t or tick_band_t by type */
    const void *body;
    const void *tail;
    const char *text; /* INSTRUMENT_DEF: the symbol, LOG: the text; zero-terminated */
} msg_t;

#ifndef HWAL_MSG_TYPES_ONLY /* libhwal has names of its own for these (hwal.h) */
/* msg_type_str: "BOOK_UPDATE" and so on; static text, never NULL. msg_body_size: bytes of the struct, 0 if unknown. */
const char *msg_type_str(msg_type_t type);
size_t      msg_body_size(msg_type_t type);
const char *feed_health_str(feed_health_t health);
const char *feed_reason_str(feed_reason_t reason);
const char *alarm_kind_str(alarm_kind_t kind);
const char *lane_reason_str(lane_reason_t reason);
#endif

static_assert(sizeof(level_t) == 16, "wire");
static_assert(sizeof(book_update_t) == 56, "wire");
static_assert(sizeof(mbo_entry_t) == 32, "wire");
static_assert(sizeof(mbo_update_t) == 56, "wire");
static_assert(sizeof(trade_t) == 48, "wire");
static_assert(sizeof(top_t) == 64, "wire");
static_assert(sizeof(feed_state_t) == 32, "wire");
static_assert(sizeof(instrument_def_t) == 72, "wire");
static_assert(sizeof(tick_band_t) == 16, "wire");
static_assert(sizeof(order_req_t) == 80, "wire");
static_assert(sizeof(exec_report_t) == 152, "wire");
static_assert(sizeof(verdict_t) == 64, "wire");
static_assert(sizeof(position_t) == 72, "wire");
static_assert(sizeof(tick_t) == 16, "wire");
static_assert(sizeof(control_t) == 16, "wire");
static_assert(sizeof(alarm_t) == 48, "wire");
static_assert(sizeof(boot_t) == 24, "wire");
static_assert(sizeof(account_def_t) == 32, "wire");
static_assert(sizeof(limit_set_t) == 224, "wire");
static_assert(sizeof(order_status_req_t) == 32, "wire");
static_assert(sizeof(mass_status_req_t) == 24, "wire");
static_assert(sizeof(mass_status_t) == 48, "wire");
static_assert(sizeof(snapshot_req_t) == 8, "wire");
static_assert(sizeof(order_record_t) == 112, "wire");
static_assert(sizeof(account_record_t) == 136, "wire");
static_assert(sizeof(statistics_t) == 136, "wire");
static_assert(sizeof(log_record_t) == 16, "wire");
static_assert(sizeof(record_head_t) == 32, "wire");
static_assert(sizeof(lane_t) == 56, "wire");
static_assert(sizeof(risk_check_req_t) == 56, "wire");
static_assert(sizeof(risk_check_resp_t) == 88, "wire");
