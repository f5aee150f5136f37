/* venue: the simulated venue as a broker sees itself: a market, open orders, fills, positions, and answers to what was
 * asked. A state machine without process, socket or clock; tools/venue_role.c drives it.
 *
 *   order requests ─▶ delay: place, cancel ─┐                             ┌─▶ log of executions (TRADE), newest 65,536
 *   status requests ─▶ line, the slower leg ─┼─▶ flow_t (generated market) │   positions, cash: account x instrument
 *   recorded market ─────────────────────────┘   or sim_venue_t (recorded) ┼─▶ closed orders, newest 65,536
 *                                                   │                      │
 *                    market data ◀── venue_md_t ◀───┘                      └─▶ line home, + report latency ─▶ venue_next
 *
 * Answers   everything that goes home, reports and answers to queries, is one first-in first-out line with the report
 *           latency, so an answer never overtakes the report of what it speaks of. A query passes the slower of the two
 *           legs out, so it never overtakes a request that was sent before it.
 *           ORDER_STATUS_REQUEST  one EXEC_REPORT ORDER_STATUS: of the open order, or of the closed one as it ended;
 *                                 ord_status NONE when neither is known.
 *           MASS_STATUS_REQUEST   in portions, as room allows: the account's TRADE reports since then, as they were sent
 *                                 (same ExecIDs), as far back as the log reaches; then at one moment, whole: an
 *                                 ORDER_STATUS of each open order, POSITION of each instrument that is not flat, BALANCE
 *                                 of each currency, END. A fill after that moment comes after END.
 *           MASS_CANCEL           takes the same way, so it never overtakes an order that was sent before it; each of the
 *                                 account's open orders in its scope is cancelled as by a request of its own: CANCELED.
 * Twice     a NEW whose ClOrdID names an open or a remembered closed order is REJECTED as a duplicate.
 * Line full venue_overflowed() says that reports were lost on the line home (nobody took them): the session that should
 *           have is to be ended; fills are in the log, so a mass status tells them to the next one. Without a session
 *           (venue_home false) nothing is put on the line.
 * Time      ts_ns is the venue's clock, UTC ns; it never goes back. A generated market that was not driven for more than
 *           a second (stopped process, night) goes on from now: nothing happened meanwhile.
 * Rate      config.market.rate is messages a second over all instruments: the time between events follows from the
 *           messages that events have given so far. 0: the market stands still after its snapshots.
 * State     one block without pointers, the caller's: its bytes are its snapshot. lock (the first word behind the magic)
 *           is even when the block is whole, so a later life takes over what a dead one left: venue_adopt.
 * Limits    VENUE_ACCOUNTS_MAX accounts, VENUE_INSTRUMENTS_MAX instruments, VENUE_ORDERS_MAX open orders; 8,192 requests
 *           under way each leg, 4,096 questions (venue_ready tells when one of these is full: leave the rest in the
 *           socket), VENUE_HOME_MAX messages on the way home.
 * Owner     one thread. Core's rules hold: no I/O, no clock, no allocation, no floating point. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/match/flow.h"
#include "core/match/sim_venue.h"
#include "tools/config.h"

#define VENUE_ID 1u /* of the generated market, in its definitions */
#define VENUE_ACCOUNTS_MAX 16u
#define VENUE_INSTRUMENTS_MAX 64u
#define VENUE_ORDERS_MAX 4096u
#define VENUE_HOME_MAX 16384u
#define VENUE_LOG_MAX 65536u /* executions; as many closed orders */

typedef struct venue_cfg {
    uint64_t   seed;
    int64_t    rate;             /* messages a second; 0 = none after the snapshots */
    uint32_t   instrument_count; /* of the generated market; 0 = recorded market */
    uint32_t   reserved;
    int64_t    place_ns;
    int64_t    cancel_ns;
    int64_t    report_ns;
    fee_cfg_t  fee;
    book_cfg_t book; /* recorded market */
} venue_cfg_t;

typedef struct venue venue_t;

/* market data of the generated market as it happens; views that hold until it returns */
typedef void (*venue_md_t)(void *ctx, const msg_t *msg);

/* venue_config: what a configuration asks for. ERR_CONFIG and a sentence. */
err_t venue_config(const config_t *config, venue_cfg_t *out);

/* venue_bytes: of the object "state" under this configuration; 0 and a sentence. */
size_t venue_bytes(const config_t *config);

/* Life. venue_footprint: 0 and a sentence. venue_new: a fresh market at ts_ns; session: new for each fresh state, the
 * high half of every ExecID and OrderID. venue_adopt: the state of an earlier life, bytes long at from, becomes ours
 * (mem has the footprint of cfg): ERR_STATE when it was being written, ERR_UNSUPPORTED when it is another
 * configuration's; mem is then to be formatted by venue_new. Books of a recorded market are BROKEN afterwards, and what
 * was on its way home is gone: nobody knows how far it came. */
size_t   venue_align(void);
size_t   venue_footprint(const venue_cfg_t *cfg);
venue_t *venue_new(void *mem, const venue_cfg_t *cfg, uint64_t session, int64_t ts_ns);
err_t    venue_adopt(void *mem, const void *from, size_t bytes, const venue_cfg_t *cfg, int64_t ts_ns);

/* venue_clock: the newest time that it has seen; every ts_ns must be at least that. */
int64_t venue_clock(const venue_t *venue);

/* venue_home: is there somebody to take what goes home? Off: what is on the line is dropped, and nothing is put on it.
 * venue_overflowed: the line was full since it was turned on. */
void venue_home(venue_t *venue, bool on);
bool venue_overflowed(const venue_t *venue);

/* venue_instrument: recorded market: list what the engine knows, by the engine's id. The same again is ERR_OK.
 * venue_listed: instrument by id, of either market; NULL = none. */
err_t               venue_instrument(venue_t *venue, const instrument_t *ins);
const instrument_t *venue_listed(const venue_t *venue, uint32_t instrument_id);

/* venue_generated: is the market generated here, or a recorded one? */
bool venue_generated(const venue_t *venue);

/* venue_request: ORDER_REQUEST, ORDER_STATUS_REQUEST, MASS_STATUS_REQUEST or MASS_CANCEL arrives at the door at ts_ns; it takes
 * effect when its latency has passed. Only while venue_ready. ERR_ARG with a sentence: what it names cannot be (account,
 * action, type), the one who sent it does not speak our language; nothing changed then. */
bool  venue_ready(const venue_t *venue);
err_t venue_request(venue_t *venue, const msg_t *msg, int64_t ts_ns);

/* venue_market: recorded market: one message of the recording. ERR_NOT_FOUND: its instrument is not listed.
 * venue_market_lost: messages were lost: no book is trusted until its next snapshot. */
err_t venue_market(venue_t *venue, const msg_t *msg, int64_t ts_ns);
void  venue_market_lost(venue_t *venue, int64_t ts_ns);

/* venue_run: everything that is due by ts_ns, in order of time, at most max events; returns how many there were (max:
 * call again). venue_due_ns: when the next one is due, INT64_MAX = never; market: market events alone. */
uint32_t venue_run(venue_t *venue, int64_t ts_ns, uint32_t max, venue_md_t md, void *ctx);
int64_t  venue_due_ns(const venue_t *venue, bool market);

/* venue_snapshot: the book of an instrument of the generated market, whole, and its best prices. ERR_NOT_FOUND. */
err_t venue_snapshot(venue_t *venue, uint32_t instrument_id, venue_md_t md, void *ctx);

/* venue_next: the oldest message on the line home, if it has arrived at ts_ns: EXEC_REPORT or MASS_STATUS; *msg points
 * into the state until venue_take, which takes it off. */
bool venue_next(venue_t *venue, int64_t ts_ns, msg_t *msg);
void venue_take(venue_t *venue);

/* Reading, for tests and logs. */
int64_t  venue_position(const venue_t *venue, uint32_t account_id, uint32_t instrument_id);
uint32_t venue_open_orders(const venue_t *venue);
uint64_t venue_executions(const venue_t *venue);
uint64_t venue_session(const venue_t *venue);
