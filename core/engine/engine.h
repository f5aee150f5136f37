/* engine: the pure state machine that strings books, strategies, risk, order state and portfolio together.
 *
 *   engine_apply(state, now, input message)  ->  output records in the caller's buffer
 *
 *   BOOK_UPDATE, MBO_UPDATE ─▶ book ─▶ (LAST part, LIVE) mark, loss ─▶ strategy.on_book ─┐
 *   TOP         ─▶ quote, newer than the book by update id ─▶ mark ─▶ strategy.on_book ┤
 *   TRADE       ─▶ last trade, the day ─────────────────────────────▶ strategy.on_trade ┤
 *   TICK        ─▶ ages, windows, loss ─────────────────────────▶ strategy.on_tick  ┤
 *   EXEC_REPORT ─▶ order state ─▶ exposure, position, P&L ──────▶ strategy.on_exec  ┤
 *   CONTROL     ─▶ kill, flatten, session, links, room                              │
 *   MASS_CANCEL ─▶ a walk over open orders; VENUE_DEF ─▶ what a venue knows         │
 *   BOOT, ACCOUNT_DEF, LIMIT_SET, INSTRUMENT_DEF, MASS_STATUS ─▶ lives, set-up, reconciliation: below │
 *   ORDER_TERMS_REQUEST (lane) ─▶ held, or out where the venue knows it (engine_held.c)
 *   LANE        ─▶ who may send requests, and until when                            │
 *   ORDER_REQUEST (lane) ──────────────────────────────────────────────────────────▶┴▶ risk ─▶ order state ─▶ out
 *
 * Outputs, in the order in which they happened: VERDICT for every request; ORDER_REQUEST for each accepted one, as the
 * adapter must send it; EXEC_REPORT as booked; POSITION after each booked fill; ALARM; and questions for adapters,
 * ORDER_STATUS_REQUEST, MASS_STATUS_REQUEST, SNAPSHOT_REQUEST. engine_output_hash() covers all of them,
 * engine_state_hash() everything that a later output depends on.
 *
 * Cancels  ALARM KILL with a KILL and each second until nothing in its scope is open or unknown: observed = how many, code = 141 to
 *          146, limit = the scope's id. A MASS_CANCEL is answered by one VERDICT (cl_ord_id = request_id, action CANCEL, observed =
 *          orders in scope) and takes what is open then; 158 when as many are under way as there are walks for.
 *          FLATTEN: engine_flatten.c; its ALARM
 *          KILL has the code that stands against closing, observed = the position. ALARM ORDER_AGE after answer_ns of silence.
 * Venues   VENUE_DEF: core/ref/capability.h; a venue that said nothing has LIMIT, DAY, GTC, IOC, FOK and replaces.
 * Lives    BOOT begins one: a higher epoch for ClOrdIDs (counters go on), every account RECOVERING (151), every venue
 *          link down, and with BOOT_ORDERS_UNKNOWN every open order UNKNOWN, without a report. With epoch 0, before the
 *          first BOOT, every request is denied (151). An account that is defined in a running life waits for nothing.
 * Set-up   by records, so that a journal holds it. ACCOUNT_DEF: ids from 1 in order, of our tenant. LIMIT_SET: see
 *          risk_limits_set. INSTRUMENT_DEF with id 0 or its own. An equal definition again is ERR_OK and changes
 *          nothing; another one of the same thing is ERR_EXISTS; a wrong one has a sentence and changes nothing.
 * Asking   VENUE_LINK 1 (also when it was up: the adapter began anew) makes every account RECOVERING and asks that
 *          venue: MASS_STATUS_REQUEST for each account, since the newest execution known when the venue last was sure
 *          of us, less 10 s; ORDER_STATUS_REQUEST for each open order there. Orders with a request under way are
 *          UNKNOWN until then; UNKNOWN and unanswered ones are asked about again after a second. FAILED is asked again
 *          after a second, everything is compared again every 60 s. Answers to older questions are ignored. At END our
 *          position in each instrument of the venue must be what it named, flat where it named none: else the account
 *          is unreconciled (152), with an ALARM ACCOUNT_UNRECONCILED for each (observed ours, limit the venue's), until
 *          a later END finds no difference. 152 of another cause (a fill that was no money, an alien order, CONTROL)
 *          stays. 151 is lifted, at END or with the next TICK, when every venue that was asked has answered and no
 *          order of the account is UNKNOWN or asked about; 151 of CONTROL_RECOVERING stays until CONTROL lifts it.
 * Books    SNAPSHOT_REQUEST when a book breaks, and each second while it is BROKEN or RECOVERING; for the first
 *          snapshot after a second. At most one a second for a book.
 *          An instrument's market data are levels (BOOK_UPDATE) or single orders (MBO_UPDATE): its first book message
 *          says which, for good; the other kind is refused (ERR_STATE) and changes nothing. There are mbo_books books of
 *          single orders; where none is left, MBO_UPDATE is refused (ERR_LIMIT). All that is said of a book here holds for
 *          both; one of single orders that is crossed is STALE/CROSSED (core/book/l3.h).
 * Day      statistics of an instrument's trading day by its TRADEs (core/book/statistics.h), whatever its book's health.
 *          It begins at UTC midnight, as the day of profit and loss does. ALARM LIMIT when its volume or turnover is more
 *          than can be counted (observed: the trade's quantity).
 * Room     questions leave in portions of ENGINE_QUERIES_MAX; none to a venue whose ring is full (158). Books that are too
 *          old turn STALE with a TICK, 512 of them; when there are more, with the inputs that follow, at their beginning.
 * Size     up to ENGINE_INSTRUMENTS_MAX instruments and ENGINE_ACCOUNTS_MAX accounts. No input looks at all of them: a TICK
 *          at books that are due, accounts with a latched loss, and 64 of the others in turn (marks and fills are judged
 *          when they come); END of a MASS_STATUS at instruments that were ever held or named. What is rare is O(n): a new
 *          day, BOOT, a link that came up.
 * Lanes    clients with an identity of their own: lane_id 1..lanes_max, strategy strategy_count + lane_id, which is also
 *          the origin of their ClOrdIDs. LANE OPEN (tenant, accounts, rights, policy; lease above every one before) lets
 *          its requests in; LANE CLOSED shuts it: what comes later is denied (128), and with policy LANE_CANCEL the
 *          orders that it had are cancelled until none is open, whoever holds the next lease; its later orders stay.
 *          BOOT closes every lane (RESTART). A request passes to risk only if strategy and origin of its id are those of
 *          one lane and its epoch is ours (112), its tenant is the lane's (122), the lane is open (128), has
 *          LANE_RIGHT_ORDER and the account (121), and REPLACE and CANCEL name an order of the lane's strategy (115). All
 *          else is risk's to say. An id that is denied here is not seen. A VERDICT of a lane's strategy whose id has
 *          origin 0 is of a cancel that the engine sent: no answer to the client.
 * Held     an order with terms is answered by one VERDICT when it is taken (stages A, B, C, F of the gate and its rates); when
 *          it leaves the whole chain judges it. Its reports have EXEC_HELD, and are the engine's own word: NEW, TRIGGERED,
 *          RESTATED, REPLACED, CANCELED, EXPIRED, REJECTED (EXEC_DENIED and the code of the gate), and ORDER_STATUS with
 *          CumQty where slices fill. At the end of a stop's or a list child's only order, the venue's report under the same
 *          id is all that is said. Rules: core/engine/engine_held.c, engine_held_input.c; all of it is state of the arena.
 * Asking   engine_risk_check answers what a NEW order would meet at this moment: every check, nothing reserved, counted
 *   risk   or marked as seen, no record. It is no input. The lane must be open (128) and have LANE_RIGHT_CHECK and the
 *          account (121); it need not have LANE_RIGHT_ORDER: the answer is that of one who has.
 * Age      of market data counts from its receipt (ts_recv_ns by utc_ns): a backlog is stale for risk (162) and for
 *          books, whenever it is worked off. Strategies are called all the same.
 *
 * Memory   one arena of engine_footprint(cfg) bytes, the caller's; no pointer lies in it (offsets only), so its bytes
 *          are a snapshot. The handle that engine_join gives is local. After engine_new nothing is allocated.
 * Threads  one: the engine thread. No clock, no I/O, no system call: time comes with each message.
 * Errors   engine_apply never fails on outside data: what is wrong becomes an ALARM, a denial or a broken book.
 *          A message that names nothing we know (ERR_NOT_FOUND), is no input (ERR_ARG) or sets up wrongly comes
 *          back with a sentence and changes nothing but the count of inputs; ERR_LIMIT when the output buffer is
 *          smaller than ENGINE_OUT_MAX. */
#pragma once

#include "core/book/view.h"
#include "core/order/order.h"
#include "core/portfolio/portfolio.h"
#include "core/ref/instrument.h"
#include "core/risk/risk.h"
#include "core/strategy/strategy.h"
#include "core/types/err.h"
#include "core/types/msg.h"
#include "core/types/time.h"

#define ENGINE_CORE_VERSION 4u    /* of the arena and of what inputs do to it: snapshots and journals carry it */
#define ENGINE_OUT_MAX (1u << 20) /* bytes that the outputs of one input need at most */
#define ENGINE_STRATEGIES_MAX 64u
#define ENGINE_INSTRUMENTS_MAX 65535u
#define ENGINE_ACCOUNTS_MAX 4096u
#define ENGINE_KILLS_MAX 64u   /* scopes whose open orders are being cancelled at a time */
#define ENGINE_SWEEP_MAX 64u   /* cancels of a kill sent with one input; the rest follow with the next ones */
#define ENGINE_QUERIES_MAX 64u /* questions to venues sent with one input; the rest follow likewise */
#define ENGINE_ALERTS_MAX 256u /* kept: open ones and the newest acknowledged ones */
#define ENGINE_LANES_MAX 16u
#define ENGINE_HELD_DEFAULT 1024u
#define ENGINE_ACTIONS_MAX 1024u /* order actions of all strategies in one input; one more is answered with 199 */
#define ENGINE_TO_VENUE_MAX                                                                                            \
    (ENGINE_ACTIONS_MAX + ENGINE_SWEEP_MAX + ENGINE_QUERIES_MAX + 1u) /* messages for adapters of one input */

typedef struct engine_strategy_cfg {
    const strategy_ops_t *ops;
    strategy_cfg_t        cfg; /* cfg.strategy_id rises from 1 in order */
} engine_strategy_cfg_t;

typedef struct engine_cfg {
    uint32_t epoch; /* of ClOrdIDs, for runs without a BOOT; 0 = every request is denied until one came */
    uint32_t tenant_id;
    uint32_t instruments_max;
    uint32_t accounts_max;
    uint32_t orders_max; /* rows of the order table: open ones and the newest closed ones */
    uint32_t fills_max;  /* executions remembered, for duplicates and busts */
    uint32_t strategy_count;
    uint32_t lanes_max; /* clients that may hold a lane: 0 .. ENGINE_LANES_MAX; ids of risk include them */
    uint32_t held_max;  /* orders that the engine holds or works at a time; 0 = ENGINE_HELD_DEFAULT */
    uint32_t mbo_books; /* instruments that may be fed by single orders: 0 .. instruments_max */
    int64_t  answer_ns; /* ALARM_ORDER_AGE when a venue does not answer for so long; 0 = never */
    uint32_t
        positions_max; /* of accounts, their sides and strategies in them; 0 = as many as there may be, 2^18 at most */
    uint32_t   lots_max;       /* of accounts that are first in, first out; 0 = 2^16 */
    int32_t    day_offset_min; /* the trading day is that of a clock so many minutes east of UTC: -720 .. 840 */
    uint32_t   reserved;
    int64_t    stale_ns; /* a book without a complete message for so long is STALE */
    book_cfg_t book;
    mbo_cfg_t  mbo;  /* of each of the mbo_books; not looked at when there are none */
    risk_cfg_t risk; /* its id maxima are set from the ones above */
    engine_strategy_cfg_t strategies[ENGINE_STRATEGIES_MAX];
} engine_cfg_t;

typedef struct engine engine_t; /* local handle */

typedef struct out_rec { /* in the output buffer: this header, then the body */
    uint16_t type;       /* msg_type_t */
    uint16_t reserved;
    uint32_t len; /* of the body, a multiple of 8 */
} out_rec_t;

typedef struct engine_out {
    uint8_t *buf; /* 8-aligned */
    uint32_t cap; /* >= ENGINE_OUT_MAX */
    uint32_t len; /* set by engine_apply */
} engine_out_t;

size_t engine_align(void);
size_t engine_footprint(const engine_cfg_t *cfg);      /* 0 and a sentence when cfg is out of range */
void  *engine_new(void *mem, const engine_cfg_t *cfg); /* NULL and a sentence on failure */
/* engine_join: a local handle, in engine_handle_size() bytes of the caller's memory, on the arena at mem, which may be
 * a copy of another one. Built-in strategies are found by name; NULL and a sentence when one is missing. */
size_t    engine_handle_size(void);
engine_t *engine_join(void *handle, void *mem);

err_t engine_apply(engine_t *engine, now_t now, const msg_t *in, engine_out_t *out);

/* engine_risk_check: would a NEW order like this, of that lane, pass now? *out is the whole answer; engine state is the
 * same before and after, byte for byte. adjusted_qty: on the lot; 0 when what stands against it is not the quantity;
 * that and risk_score: "Asking" in risk.h. A request that is stopped before risk has score 10000.
 * Cost: of two risk checks; when its size stands against it, of up to 64 more. */
void engine_risk_check(const engine_t *engine, now_t now, uint32_t lane_id, const risk_check_req_t *req,
                       risk_check_resp_t *out);

/* engine_size: CalculatePositionSize: what core/risk/size.h answers for the account's equity, and how much of it risk would let
 * pass now as a limit order at px (0 = the reference price, on the tick). Rights as for engine_risk_check, and it is no input
 * either. out->code: 101 figures that are none, 161 no reference price, 155 no rate
 * from the account's home currency to the instrument's, else why qty is less than wanted_qty. Cost: 63 values, and
 * that of engine_risk_check. */
void engine_size(const engine_t *engine, now_t now, uint32_t lane_id, const size_req_t *req, size_resp_t *out);

/* engine_lane: a lane as it stands, with epoch and first_seq filled in as its client must be told; false: no such id. A lane
 * that was never open has state LANE_NONE and its identity. */
bool engine_lane(const engine_t *engine, uint32_t lane_id, lane_t *out);

/* engine_limit: one field (risk.h: RISK_FIELD_*) of one scope as it is in force; false: the scope does not exist, has no
 * limits or not this field. Of pairs id2 is the instrument. O(1) */
bool engine_limit(const engine_t *engine, scope_t scope_type, uint32_t id1, uint32_t id2, uint32_t field,
                  int64_t *value);

/* engine_out_next: the record at *pos, NULL at the end; moves *pos. */
const out_rec_t *engine_out_next(const engine_out_t *out, uint32_t *pos);

/* reading; more of it, for publishing and snapshots, in engine_view.h */
uint32_t            engine_instrument_count(const engine_t *engine);
const instrument_t *engine_instrument(const engine_t *engine, uint32_t instrument_id); /* ids from 1; NULL = none */
uint32_t engine_instrument_find(const engine_t *engine, uint16_t venue_id, const char *symbol); /* 0 = none */
/* engine_market: its book; VIEW_NONE = no such instrument. Before its first book message: an empty L2 book. engine_book:
 * the same where it is known to be L2; NULL when it is not. */
view_t               engine_market(const engine_t *engine, uint32_t instrument_id);
const book_t        *engine_book(const engine_t *engine, uint32_t instrument_id);
const order_table_t *engine_orders(const engine_t *engine);
const portfolio_t   *engine_portfolio(const engine_t *engine);
const risk_t        *engine_risk(const engine_t *engine);
uint64_t             engine_output_hash(const engine_t *engine);
uint64_t             engine_state_hash(const engine_t *engine);
