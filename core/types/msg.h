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
    MSG_ORDER_TERMS_REQUEST =
        28,                 /* in:  an order with terms (stops, lists, algorithms); out: where the venue knows them */
    MSG_HELD_ORDER    = 29, /* published record: an order that the engine holds or works for its owner */
    MSG_MASS_CANCEL   = 30, /* in:  cancel all of a scope; out: to a venue that knows it                */
    MSG_VENUE_DEF     = 31, /* in:  what a venue knows: order types, times in force, features           */
    MSG_VENUE_BUDGET  = 32, /* in:  what the adapter has left of the venue's own limits                 */
    MSG_FX_RATE       = 33, /* in:  a rate between two currencies, with its source and its time         */
    MSG_CASH_MOVE     = 34, /* in:  money that moves without a fill: deposits, funding                  */
    MSG_MISC_FEE      = 35, /* in:  a fee or tax of an execution beside the one in its report           */
    MSG_FEE_SCHEDULE  = 36, /* in:  one tier of a fee schedule                                          */
    MSG_BALANCE       = 37, /* published record: one currency of one account                            */
    MSG_SUB_POSITION  = 38, /* published record: part of a position, by strategy or by side             */
    MSG_LIMIT_CHANGE  = 39, /* in:  one step of a change of limits, with who and why                    */
    MSG_AUDIT         = 40, /* out: who changed what                                                    */
    MSG_ALERT         = 41, /* out, published record: what a person must see, and whether one has       */
    MSG_OPERATE       = 42, /* in:  a CONTROL by a named person, with a reason                          */
    MSG_SIZE_REQUEST  = 43, /* lane: how large may an order be? Neither journaled nor sent              */
    MSG_SIZE_RESPONSE = 44, /* lane: the answer                                                         */
    MSG_TYPE_COUNT
} msg_type_t;

/* ---- enums on the wire ------------------------------------------------------------------------------------------- */
typedef enum side { SIDE_NONE = 0, SIDE_BUY = 1, SIDE_SELL = 2 } side_t; /* 54  */
typedef enum ord_type {                                                  /* 40  */
                        ORD_TYPE_NONE                = 0,
                        ORD_TYPE_MARKET              = 1,
                        ORD_TYPE_LIMIT               = 2,
                        ORD_TYPE_STOP                = 3, /* 3 to 9 travel as MSG_ORDER_TERMS_REQUEST */
                        ORD_TYPE_STOP_LIMIT          = 4,
                        ORD_TYPE_TRAILING_STOP       = 5, /* 5, 6: ours; FIX says P with 388, 389, 836 for both */
                        ORD_TYPE_TRAILING_STOP_LIMIT = 6,
                        ORD_TYPE_MARKET_TO_LIMIT     = 7, /* K: what the first fills leave rests at their price */
                        ORD_TYPE_MARKET_IF_TOUCHED   = 8, /* J: a market order when the market comes to stop_px */
                        ORD_TYPE_LIMIT_IF_TOUCHED    = 9, /* ours: likewise a limit order                       */
                        ORD_TYPE_COUNT
} ord_type_t;
typedef enum tif { /* 59, ours = FIX + 1 */
                   TIF_NONE = 0,
                   TIF_DAY  = 1,
                   TIF_GTC  = 2,
                   TIF_OPG  = 3, /* in the opening auction */
                   TIF_IOC  = 4,
                   TIF_FOK  = 5,
                   TIF_GTD  = 7, /* until expire_utc_ns */
                   TIF_ATC  = 8, /* in the closing auction */
                   TIF_COUNT
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
                          ORD_STATUS_DONE_FOR_DAY     = '3',
                          ORD_STATUS_CANCELED         = '4',
                          ORD_STATUS_PENDING_CANCEL   = '6',
                          ORD_STATUS_REJECTED         = '8',
                          ORD_STATUS_SUSPENDED        = '9',
                          ORD_STATUS_PENDING_NEW      = 'A',
                          ORD_STATUS_EXPIRED          = 'C',
                          ORD_STATUS_PENDING_REPLACE  = 'E',
                          ORD_STATUS_UNKNOWN = 'U' /* ours: sent, and the venue's answer is not known; counts as open */
} ord_status_t;
typedef enum exec_type { /* 150 (ASCII as FIX) */
                         EXEC_TYPE_NONE         = 0,
                         EXEC_TYPE_NEW          = '0',
                         EXEC_TYPE_DONE_FOR_DAY = '3',
                         EXEC_TYPE_CANCELED     = '4',
                         EXEC_TYPE_REPLACED     = '5',
                         EXEC_TYPE_REJECTED     = '8',
                         EXEC_TYPE_EXPIRED      = 'C',
                         EXEC_TYPE_RESTATED     = 'D', /* the venue changed the order itself */
                         EXEC_TYPE_TRADE        = 'F',
                         EXEC_TYPE_TRADE_CORRECT =
                             'G', /* exec_id names the execution, last_px and last_qty are the right ones */
                         EXEC_TYPE_TRADE_CANCEL   = 'H',
                         EXEC_TYPE_TRIGGERED      = 'L',
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
    uint16_t position_effect; /* 77: position_effect_t; NONE in accounts that net */
} order_req_t;

typedef enum position_effect {
    POSITION_EFFECT_NONE  = 0,
    POSITION_EFFECT_OPEN  = 1,
    POSITION_EFFECT_CLOSE = 2
} position_effect_t;
typedef enum contingency { /* 1385 */
                           CONTINGENCY_NONE = 0,
                           CONTINGENCY_OCO  = 1, /* one cancels the others of the list                          */
                           CONTINGENCY_OTO  = 2, /* the list's first order: its fills set the others free       */
                           CONTINGENCY_OUO_ABSOLUTE =
                               3, /* a fill takes its quantity off the others                    */
                           CONTINGENCY_OUO_PROPORTIONAL =
                               4, /* likewise in proportion                                      */
                           CONTINGENCY_COUNT
} contingency_t;
typedef enum trigger {                   /* 1107: what reaches stop_px */
                       TRIGGER_NONE = 0, /* as LAST                                  */
                       TRIGGER_BEST = 1, /* best offer for a buy, best bid for a sell */
                       TRIGGER_LAST = 2,
                       TRIGGER_MID  = 6
} trigger_t;
typedef enum algo { /* 847 */
                    ALGO_NONE = 0,
                    ALGO_TWAP = 1, /* even over the time until expire_utc_ns, in algo_arg slices (0 = ours to choose) */
                    ALGO_VWAP = 2, /* likewise by the instrument's volume curve                                       */
                    ALGO_ICEBERG =
                        3, /* display_qty at a time at px                                                      */
                    ALGO_COUNT
} algo_t;

typedef struct order_terms_req { /* an order_req_t, field for field, and the terms behind it */
    uint64_t cl_ord_id;
    uint64_t orig_cl_ord_id;
    uint64_t corr_hi;
    uint64_t corr_lo;
    uint32_t tenant_id;
    uint32_t account_id;
    uint32_t strategy_id;
    uint32_t instrument_id;
    int64_t  px;
    int64_t  qty;
    int64_t  created_mono_ns;
    uint8_t  action;
    uint8_t  side;
    uint8_t  ord_type;
    uint8_t  tif;
    uint16_t exec_inst;
    uint16_t position_effect;
    int64_t  stop_px;       /* 99: STOP*, *_IF_TOUCHED; of TRAILING_*: where it begins, 0 = at the market now        */
    int64_t  trail;         /* 1099: TRAILING_*: distance in px                                                       */
    int64_t  display_qty;   /* 1138: at most so much is seen; 0 = all                                                 */
    int64_t  expire_utc_ns; /* 126: GTD; of TWAP and VWAP the end                                                     */
    uint64_t list_id;       /* 66: ClOrdID of the first order of its list; 0 = it is in none                          */
    uint32_t user_id;       /* the person behind it, 0 = none                                                         */
    uint8_t  contingency;   /* contingency_t */
    uint8_t  trigger;       /* trigger_t     */
    uint8_t  algo;          /* algo_t        */
    uint8_t  algo_arg;
} order_terms_req_t;

typedef struct mass_cancel { /* 35=q; 0 = any */
    uint64_t request_id;
    uint32_t tenant_id;
    uint32_t account_id;
    uint32_t strategy_id;
    uint32_t instrument_id;
    uint16_t venue_id;
    uint8_t  side;
    uint8_t  reserved;
    uint32_t user_id;
} mass_cancel_t;

enum {                                 /* what a venue offers beside order types */
       VENUE_REPLACE              = 1, /* 35=G                                              */
       VENUE_MASS_CANCEL          = 2, /* 35=q for an account and an instrument             */
       VENUE_POST_ONLY            = 4,
       VENUE_REDUCE_ONLY          = 8,
       VENUE_ICEBERG              = 16,
       VENUE_STP                  = 32, /* prevents self-trades itself                      */
       VENUE_CANCEL_ON_DISCONNECT = 64
};

typedef struct venue_def { /* what is not here, the engine does itself */
    uint64_t ord_types;    /* bit 1 << ord_type_t */
    uint32_t tifs;         /* bit 1 << tif_t      */
    uint32_t features;     /* VENUE_*             */
    uint16_t venue_id;
    uint16_t reserved;
    uint32_t reserved2;
} venue_def_t;

typedef struct venue_budget { /* the adapter owns the bucket; this is what it says of it */
    int64_t  used;            /* of the venue's own limit, within its window */
    int64_t  limit;
    int64_t  w_ns;
    int64_t  hold_until_utc_ns; /* nothing may be sent before (429, 418); 0 = nothing holds */
    uint16_t venue_id;
    uint16_t reserved;
    uint32_t reserved2;
} venue_budget_t;

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
    uint32_t reject_code; /* 103/102: the venue's number; of a denial of ours core/risk/risk_code.h */
    uint32_t flags;       /* EXEC_* */
} exec_report_t;

enum {                       /* exec_report_t.flags */
       EXEC_FEE_UNKNOWN = 1, /* the venue does not say the fee: ours is taken from the fee schedule */
       EXEC_DENIED      = 2, /* REJECTED by us: it never left */
       EXEC_BACKFILLED  = 4, /* fetched after a gap, not streamed */
       EXEC_HELD        = 8  /* the engine's own word on an order that it holds or works: no execution of its own */
};

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
    SCOPE_TENANT_INSTRUMENT,
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
    CONTROL_FLATTEN,      /* scope as KILL: the engine closes what is open, inside the collar            */
    CONTROL_ENABLE,       /* scope STRATEGY: a named person lets it trade again after 276 or 279          */
    CONTROL_SETTLE,       /* scope ACCOUNT: a named person takes the venue's figures for ours (152)       */
    CONTROL_ALERT_ACK,    /* OPERATE only: target is the alert                                            */
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
    ALARM_KILL,               /* a kill is in force: observed = orders in its scope that are open or unknown   */
    ALARM_VOLATILITY_PAUSE,   /* 185 */
    ALARM_REPEATED_EXECUTION, /* 276 */
    ALARM_REJECT_STORM,       /* 279 */
    ALARM_ORDER_AGE,          /* an order waits for its venue's answer for too long                            */
    ALARM_CASH,               /* money that could not be booked: a fee, a rate, a movement                     */
    ALARM_FX,                 /* a rate is missing or too old                                                  */
    ALARM_HELD,               /* a held order could not leave (code: why), or the order of one is gone (code 0) */
    ALARM_LIST,               /* two orders of which one should cancel the other were both filled               */
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

enum {                      /* account_def_t.flags */
       ACCOUNT_HEDGING = 1, /* long and short of one instrument stand side by side; else they net            */
       ACCOUNT_FIFO    = 2, /* cost first in, first out; else average                                        */
       ACCOUNT_MARGIN  = 4  /* own funds bound the margin (230); else what is bought must be paid for         */
};

typedef struct account_def {
    uint32_t account_id; /* 1: ids from 1 in order */
    uint32_t tenant_id;
    uint64_t ccy;     /* ccy_pack: its home currency, in which its limits are said */
    int64_t  initial; /* money   */
    int8_t   money_exp;
    uint8_t  flags; /* ACCOUNT_* */
    uint16_t reserved2;
    uint32_t fee_schedule; /* for fills whose venue does not say the fee; 0 = none */
} account_def_t;

typedef struct fx_rate { /* one unit of ccy is rate units of to_ccy */
    uint64_t ccy;
    uint64_t to_ccy;
    int64_t  rate; /* in 10^-rate_exp, > 0 */
    int64_t  ts_event_ns;
    int64_t  ts_recv_ns;
    uint32_t source; /* instrument it was taken from; 0 = said by a person or a file */
    int8_t   rate_exp;
    uint8_t  reserved;
    uint16_t reserved2;
} fx_rate_t;

typedef enum cash_kind {
    CASH_NONE = 0,
    CASH_DEPOSIT,
    CASH_WITHDRAWAL,
    CASH_FUNDING,
    CASH_INTEREST,
    CASH_ADJUSTMENT,
    CASH_KIND_COUNT
} cash_kind_t;

typedef struct cash_move { /* booked once: ref is the venue's id of it */
    uint64_t ref_hi;
    uint64_t ref_lo;
    uint64_t ccy;
    int64_t  amount; /* received; negative = paid */
    int64_t  ts_event_ns;
    uint32_t account_id;
    uint32_t instrument_id; /* FUNDING: of the position; 0 = of none */
    int8_t   money_exp;     /* of amount */
    uint8_t  kind;          /* cash_kind_t */
    uint16_t reserved;
    uint32_t reserved2;
} cash_move_t;

typedef enum fee_kind { FEE_NONE = 0, FEE_COMMISSION, FEE_EXCHANGE, FEE_TAX, FEE_KIND_COUNT } fee_kind_t; /* 139 */

typedef struct misc_fee { /* 136: beside EXEC_REPORT.fee; booked once for an execution and kind */
    uint64_t cl_ord_id;
    uint64_t exec_id_hi;
    uint64_t exec_id_lo;
    uint64_t ccy;    /* 138: any currency */
    int64_t  amount; /* 137: paid; negative = rebate */
    int64_t  ts_event_ns;
    uint32_t account_id;
    uint32_t instrument_id;
    int8_t   money_exp; /* of amount */
    uint8_t  kind;      /* fee_kind_t */
    uint16_t reserved;
    uint32_t strategy_id;
} misc_fee_t;

typedef struct fee_schedule { /* rates are of the value traded, in 10^-8; a negative one is a rebate */
    uint32_t schedule_id;
    uint16_t tier; /* 0 .. tiers - 1 */
    uint16_t tiers;
    int64_t  from_value; /* value traded in the last 30 days, home currency, from which it holds */
    int64_t  maker;
    int64_t  taker;
    int64_t  tax_buy;
    int64_t  tax_sell;
    int64_t  min_fee; /* money, an execution */
    uint64_t ccy;     /* that fees are paid in, by the rate of the moment; 0 = the settlement currency */
} fee_schedule_t;

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

typedef enum limit_step {
    LIMIT_STEP_NONE = 0,
    LIMIT_STEP_BEGIN, /* a change: its SETs are collected and take effect at COMMIT, all or none */
    LIMIT_STEP_SET,   /* scope, field, value                                                     */
    LIMIT_STEP_COMMIT,
    LIMIT_STEP_ABORT,
    LIMIT_STEP_ASK,     /* an override: scope, field, value until until_utc_ns                     */
    LIMIT_STEP_APPROVE, /* of the override change_id, by another person than the one who asked     */
    LIMIT_STEP_REVOKE,
    LIMIT_STEP_GET, /* a question, no input: what are the fields of this scope?                        */
    LIMIT_STEP_COUNT
} limit_step_t;

typedef struct limit_change { /* the reason travels beside it as text */
    uint64_t change_id;       /* one number for all steps of a change; rising */
    int64_t  value;
    int64_t  until_utc_ns;
    uint32_t scope_id;
    uint32_t scope_id2; /* of pairs: the instrument */
    uint32_t user_id;   /* uid of who says it: the engine fills it in from the lane */
    uint32_t lane_id;   /* likewise; 0 = the configuration */
    uint8_t  scope_type;
    uint8_t  step;  /* limit_step_t */
    uint16_t field; /* place in risk_limits_t, from 0 */
    uint32_t reserved;
} limit_change_t;

typedef enum audit_kind {
    AUDIT_NONE = 0,
    AUDIT_LIMIT, /* a field of a limit set; version is the one that it is in force from */
    AUDIT_OVERRIDE_ASKED,
    AUDIT_OVERRIDE_APPROVED,
    AUDIT_OVERRIDE_ENDED,
    AUDIT_REFUSED, /* a change that was refused as a whole; field: risk code or err_t */
    AUDIT_CONTROL, /* field: control_kind_t */
    AUDIT_ALERT,   /* acknowledged; change_id: the alert */
    AUDIT_VALUE,   /* answer to GET: new_value of field, of limits version; the last has field 0xFFFF */
    AUDIT_KIND_COUNT
} audit_kind_t;

typedef struct audit {
    uint64_t audit_seq; /* from 1, without gaps */
    uint64_t event_seq; /* engine sequence of the input that did it: it holds the reason */
    uint64_t change_id;
    int64_t  old_value;
    int64_t  new_value;
    int64_t  utc_ns;
    uint32_t scope_id;
    uint32_t scope_id2;
    uint32_t user_id;
    uint32_t lane_id;
    uint32_t version; /* of the limits, after it */
    uint16_t field;
    uint8_t  scope_type;
    uint8_t  kind; /* audit_kind_t */
} audit_t;

typedef enum alert_state { ALERT_NONE = 0, ALERT_OPEN, ALERT_ACKED, ALERT_STATE_COUNT } alert_state_t;
typedef enum alert_severity { ALERT_SEVERITY_NONE = 0, ALERT_INFO, ALERT_WARN, ALERT_CRITICAL } alert_severity_t;

typedef struct alert { /* alarms of one kind, code, account and instrument, until a person has acknowledged them */
    uint64_t alert_id; /* rising, never used twice */
    int64_t  first_utc_ns;
    int64_t  last_utc_ns;
    int64_t  ack_utc_ns;
    uint64_t count;
    int64_t  observed; /* of the newest */
    int64_t  limit;
    uint64_t cl_ord_id;
    uint64_t event_seq;
    uint32_t account_id;
    uint32_t instrument_id;
    uint32_t user_id; /* who acknowledged it */
    uint16_t kind;    /* alarm_kind_t */
    uint16_t code;
    uint8_t  state;    /* alert_state_t */
    uint8_t  severity; /* alert_severity_t */
    uint16_t reserved;
    uint32_t reserved2;
} alert_t;

typedef struct operate { /* a control_t by a named person; the reason travels beside it as text */
    uint64_t target;     /* ALERT_ACK: the alert, 0 = all open ones */
    int64_t  value;
    uint32_t scope_id;
    uint32_t user_id; /* uid: the engine fills it in from the lane */
    uint32_t lane_id; /* likewise */
    uint8_t  kind;    /* control_kind_t */
    uint8_t  scope_type;
    uint16_t reserved;
} operate_t;

#define REASON_MAX 100 /* bytes of a reason, without the end */

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

typedef enum held_state {
    HELD_NONE = 0,
    HELD_WAITING, /* for its trigger, its list's first order, or its time */
    HELD_WORKING, /* an order of it is at the venue                       */
    HELD_DONE
} held_state_t;

typedef struct held_record { /* an order that the engine holds or works (core/order/held.h) */
    uint64_t cl_ord_id;
    uint64_t list_id;
    uint64_t working_id; /* ClOrdID of its order at the venue, 0 = none */
    uint64_t corr_hi;
    uint64_t corr_lo;
    int64_t  px;
    int64_t  stop_px; /* as it stands: of TRAILING_* it follows the market */
    int64_t  trail;
    int64_t  display_qty;
    int64_t  expire_utc_ns;
    int64_t  avg_px;
    int64_t  order_qty;
    int64_t  cum_qty;
    int64_t  leaves_qty;
    uint64_t event_seq;
    uint32_t account_id;
    uint32_t instrument_id;
    uint32_t tenant_id;
    uint32_t strategy_id;
    uint32_t user_id;
    uint8_t  side;
    uint8_t  ord_status;
    uint8_t  ord_type;
    uint8_t  tif;
    uint16_t exec_inst;
    uint8_t  position_effect;
    uint8_t  contingency;
    uint8_t  trigger;
    uint8_t  algo;
    uint8_t  state; /* held_state_t */
    uint8_t  algo_arg;
} held_record_t;

typedef struct balance { /* one currency of one account; money in 10^-money_exp */
    uint64_t ccy;
    int64_t  initial;
    int64_t  cash;
    int64_t  hold;      /* of it, what open orders may still need */
    int64_t  available; /* what may still be spent: core/portfolio/portfolio.h, "Holds" */
    int64_t  realised;
    int64_t  unrealised;
    int64_t  fees;
    int64_t  funding;
    int64_t  equity;
    int64_t  fx_rate;   /* to the account's home currency, in 10^-fx_exp; 0 = none is known */
    int64_t  fx_utc_ns; /* when it was told */
    uint64_t event_seq;
    uint32_t account_id;
    int8_t   money_exp;
    int8_t   fx_exp;
    uint16_t reserved;
} balance_t;

typedef struct sub_position { /* of a strategy (strategy_id), or of one side of a hedging account (side) */
    int64_t  qty;
    int64_t  cost;
    int64_t  realised;
    int64_t  unrealised;
    int64_t  fees;
    int64_t  funding;
    int64_t  mark_px;
    uint64_t event_seq;
    uint32_t account_id;
    uint32_t strategy_id;
    uint32_t instrument_id;
    uint8_t  side; /* side_t: BUY long, SELL short, NONE both */
    uint8_t  reserved;
    uint16_t reserved2;
} sub_position_t;

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

enum {                          /* what a lane may do */
       LANE_RIGHT_CHECK   = 1,  /* ask risk                                        */
       LANE_RIGHT_ORDER   = 2,  /* send, change and cancel its own orders          */
       LANE_RIGHT_LIMITS  = 4,  /* lower limits, ask for overrides                 */
       LANE_RIGHT_RAISE   = 8,  /* raise them                                      */
       LANE_RIGHT_APPROVE = 16, /* approve overrides that another asked for        */
       LANE_RIGHT_OPERATE = 32  /* OPERATE: kill, clear, flatten, acknowledge; cancel anybody's orders */
};

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

typedef enum size_method {
    SIZE_NONE = 0,
    SIZE_FIXED_RISK, /* arg1: share of equity that may be lost, bp; stop_px: where it is lost                        */
    SIZE_KELLY,      /* arg1: probability of a win, 10^-6; arg2: win / loss, 10^-6; arg3: share of Kelly's f, bp      */
    SIZE_VOL_TARGET, /* arg1: volatility a year that is wanted, bp; arg2: that of the instrument, bp                  */
    SIZE_TARGET_WEIGHT, /* arg1: share of equity that the position shall be, bp: the answer is the change to it, signed  */
    SIZE_METHOD_COUNT
} size_method_t;

typedef struct size_req {
    uint64_t corr_hi; /* comes back */
    uint64_t corr_lo;
    int64_t  px; /* 0 = the reference price */
    int64_t  stop_px;
    int64_t  arg1;
    int64_t  arg2;
    int64_t  arg3;
    int64_t  max_weight_bp; /* value of the position over equity at most; 0 = 10,000 */
    uint32_t account_id;
    uint32_t instrument_id;
    uint8_t  method; /* size_method_t */
    uint8_t  side;   /* side_t; of TARGET_WEIGHT the answer's */
    uint16_t reserved;
    uint32_t reserved2;
} size_req_t;

typedef struct size_resp {
    uint64_t corr_hi;
    uint64_t corr_lo;
    uint64_t portfolio_version; /* engine sequence that was judged                         */
    int64_t  wanted_qty;        /* by the method alone, on the lot                         */
    int64_t  qty;               /* of it, what risk would let pass now                     */
    int64_t  px;                /* that it was reckoned with                               */
    int64_t  equity;
    int64_t  value; /* of qty at px, money                                     */
    int64_t  engine_utc_ns;
    uint32_t account_id;
    uint32_t instrument_id;
    uint16_t code; /* 0, or why qty is less than wanted_qty: core/risk/risk_code.h */
    uint8_t  side;
    uint8_t  method;
    uint32_t reserved;
} size_resp_t;

/* ---- a message where it lies ------------------------------------------------------------------------------------- */
typedef struct msg { /* a view: body and tail point into a ring slot, a file or a caller's buffer */
    msg_type_t  type;
    uint32_t    tail_count; /* elements of tail: level_t, mbo_entry_t or tick_band_t by type */
    const void *body;
    const void *tail;
    const char
        *text; /* INSTRUMENT_DEF: the symbol, LOG: the text, LIMIT_CHANGE, OPERATE: the reason; zero-terminated */
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
static_assert(sizeof(order_terms_req_t) == 128, "wire");
static_assert(sizeof(mass_cancel_t) == 32, "wire");
static_assert(sizeof(venue_def_t) == 24, "wire");
static_assert(sizeof(venue_budget_t) == 40, "wire");
static_assert(sizeof(fx_rate_t) == 48, "wire");
static_assert(sizeof(cash_move_t) == 56, "wire");
static_assert(sizeof(misc_fee_t) == 64, "wire");
static_assert(sizeof(fee_schedule_t) == 64, "wire");
static_assert(sizeof(held_record_t) == 152, "wire");
static_assert(sizeof(balance_t) == 112, "wire");
static_assert(sizeof(sub_position_t) == 80, "wire");
static_assert(sizeof(limit_change_t) == 48, "wire");
static_assert(sizeof(audit_t) == 72, "wire");
static_assert(sizeof(alert_t) == 96, "wire");
static_assert(sizeof(operate_t) == 32, "wire");
static_assert(sizeof(size_req_t) == 80, "wire");
static_assert(sizeof(size_resp_t) == 88, "wire");
static_assert(offsetof(order_terms_req_t, created_mono_ns) == offsetof(order_req_t, created_mono_ns) &&
                  offsetof(order_terms_req_t, stop_px) == sizeof(order_req_t),
              "an order_req_t, and terms behind it");
