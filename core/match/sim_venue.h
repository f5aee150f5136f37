/* sim_venue: a venue that matches our orders against a recorded market: book updates and trades as they were received,
 * which our orders cannot change, and an honest guess of what would have happened to us.
 *
 *   BOOK_UPDATE or MBO_UPDATE,
 *   TRADE, FEED_STATE ───────────────▶ own view of each book ──┐
 *                                                              ├─▶ fills ─▶ exec reports (own.h) in exec_out_t
 *   order_req NEW, REPLACE, CANCEL ──▶ our orders, with queue ─┘
 *
 * Taking   An order that can trade on arrival takes the visible opposite levels, each at its price, up to its limit.
 *   What it took is taken off our view of the level until the feed speaks of that level again: the same liquidity is
 *   never used twice, by one order or by two. What is left rests (GTC, DAY), or is EXPIRED (IOC, MARKET); FOK takes all
 *   or nothing; POST_ONLY that would take is REJECTED (a replace: refused, and the order stands as it was).
 * Queue    A resting order stands behind everything visible at its price when it comes: ahead_qty = visible quantity.
 *   Orders of ours at one price stand in order of arrival. Then:
 *     - a trade at our price on our side first uses up what is ahead, then fills us, part by part. Its quantity is
 *       used once over all our orders, better prices first, then time;
 *     - a trade through our price (a seller traded below our bid) would have met us first: we are filled at our price,
 *       up to the quantity traded, whatever was ahead; prices between are gone through in order;
 *     - when a complete book message shows less at our price, what trades do not explain of it was cancelled: how much
 *       of that ahead of us is the model's to say (cfg.queue, queue.h). risk_averse: none, unless it must have been:
 *       ahead shrinks to what is visible. A quantity that a trade has told is not counted again when the book tells it;
 *     - when the recorded opposite side comes to stand at or through our price after a complete message, those levels
 *       would have traded with us: we are filled at our price, as maker, up to their visible quantity, which is then
 *       taken off our view as above.
 *   A trade whose aggressor is unknown fills only what it went through, and uses up no queue.
 *   Replace: less quantity at the same price keeps its place; a new price or more quantity starts at the tail.
 * By order (L3)   An instrument whose market comes as MBO_UPDATE keeps its single orders (core/book/mbo.h), and its view
 *   is made of their levels. With the model l3 our place among them is exact: ahead_qty is the sum of the orders that
 *   were there when ours came and have not left, whatever comes, goes or moves behind us:
 *     - CANCEL and FILL of an order ahead shorten the queue by their quantity, MODIFY by what it gives up, or by all of
 *       it when it loses its place: it then stands behind us;
 *     - FILL of an order behind us, at our price or a worse one, would have met us: we are filled at our price, up to its
 *       quantity, which is used once over all our orders. TRADE fills nobody then: each is told by its FILL, too;
 *     - what orders of ours took stays taken: it was the front of its level; the view gets what comes behind it, not that
 *       again (with every model);
 *     - a book that is crossed (before an auction) is not LIVE here, and is again when it is crossed no more.
 *   With any other model fills come from TRADE, and MBO_UPDATE says the levels.
 * Trades and the view   With cfg.trades_take a trade takes its quantity off the level it met, in our view, until the feed
 *   speaks of the level: an order of ours that arrives between a trade and its book message does not take it again.
 * Books that are not LIVE   nothing is matched, a NEW is REJECTED and a REPLACE refused (VENUE_REJECT_CLOSED), CANCEL
 *   works. Resting orders stay. Trades meanwhile fill nobody. At the next LIVE the rules for a complete message apply.
 *
 * What it gets wrong
 *   - no impact: the recorded participants do not react to us, and do not trade with those behind us instead;
 *   - the book is as fresh as its last diff (100 ms on some feeds): between two diffs we take and queue by old levels.
 *     TOP messages are not used: they run ahead of the diffs, and two clocks in one book would use liquidity twice;
 *   - trades and diffs that speak of one event come separately: without trades_take an order that arrives between the
 *     two can meet the quantity of a level that the trade has already taken; with it, a trade that comes behind its diff
 *     takes the quantity twice (fewer fills, never more). A trade that comes behind its diff uses up queue twice;
 *   - by price, cancels ahead of us look as if they were behind us (risk_averse: fills come late, never early), or are
 *     guessed; hidden quantity is unknown;
 *   - by order, a match that is not first-in first-out (pro rata) would have treated us otherwise, and executions of
 *     hidden orders meet nobody;
 *   - fills by a crossing book and by a later report of the trade that moved it can both happen, against different
 *     quantities of what was one order of a stranger.
 *
 * Self-trades   orders of ours do not meet each other here, for they are not in the recorded book; risk prevents them.
 * Clock    venue time is the receive time of the recording, given with every call; ts_event of the data is not read:
 *          clocks of venue and recorder may differ either way.
 * Order of calls   market data in recorded order. A request between the parts of a book message finds that book not
 *          LIVE: give it before the FIRST or after the LAST part.
 * Output   each call asks for sim_venue_reports_max() room in its exec_out_t, else ERR_FULL and nothing is changed.
 * Memory   one block, the caller's; no pointers: its bytes are its snapshot.
 * Threads  one. */
#pragma once

#include "core/book/book.h"
#include "core/book/mbo.h"
#include "core/match/own.h"
#include "core/match/queue.h"

typedef struct sim_venue_cfg {
    uint64_t    session;         /* high half of ExecIDs and OrderIDs                                 */
    uint32_t    instruments_max; /* 1..4096; instrument ids are 1..instruments_max                    */
    uint32_t    orders_max;      /* our open orders, 1..OWN_ROWS_MAX                                  */
    uint32_t    fills_max;       /* levels that one order may sweep, 1..65536; more = REJECTED        */
    uint32_t    trades_take;     /* 1: trades take their quantity off the view                        */
    queue_cfg_t queue;           /* all zero = risk_averse                                            */
    mbo_cfg_t   mbo; /* single orders of each instrument (the tick is its own); all zero = no market is by order */
    book_cfg_t  book;
} sim_venue_cfg_t;

typedef struct sim_venue sim_venue_t;

/* Life. footprint: 0 and a sentence when cfg is out of range; new: NULL likewise. */
size_t       sim_venue_align(void);
size_t       sim_venue_footprint(const sim_venue_cfg_t *cfg);
sim_venue_t *sim_venue_new(void *mem, const sim_venue_cfg_t *cfg);

/* sim_venue_reports_max: reports that one call gives at most. */
uint32_t sim_venue_reports_max(const sim_venue_t *venue);

/* sim_venue_instrument: list an instrument; its def.instrument_id is the name for everything after.
 * ERR_RANGE id beyond instruments_max; ERR_EXISTS listed already; ERR_ARG fees (fee_check). A sentence with each. */
err_t sim_venue_instrument(sim_venue_t *venue, const instrument_t *ins, const fee_cfg_t *fee);

/* sim_venue_market: one recorded message. BOOK_UPDATE, MBO_UPDATE, TRADE and FEED_STATE do what is said above; other
 * types do nothing. A fault in a book message breaks that book (book.h, mbo.h) and is not an error here.
 * Returns ERR_OK; ERR_NOT_FOUND (sentence) instrument not listed; ERR_STATE (sentence) MBO_UPDATE without cfg.mbo;
 * ERR_FULL. Cost: O(levels + our orders there); by order each entry at a price of ours also O(orders ahead of it). */
err_t sim_venue_market(sim_venue_t *venue, const msg_t *msg, int64_t ts_ns, exec_out_t *out);

/* sim_venue_request: an order request arrives. What is wrong with the order is a report, not an error.
 * Returns ERR_OK; ERR_FULL. Cost: O(levels taken + our orders on its side). */
err_t sim_venue_request(sim_venue_t *venue, const order_req_t *req, int64_t ts_ns, exec_out_t *out);

/* sim_venue_orders: our open orders, to be read. sim_venue_listed: an instrument by id; NULL = not listed. */
const own_t        *sim_venue_orders(const sim_venue_t *venue);
const instrument_t *sim_venue_listed(const sim_venue_t *venue, uint32_t id);

/* sim_venue_ahead: quantity that stands before an open order of ours; -1 when it is not open. */
int64_t sim_venue_ahead(sim_venue_t *venue, uint64_t cl_ord_id);

/* sim_venue_hash: our orders, books and counters into a hash. */
uint64_t sim_venue_hash(uint64_t hash, sim_venue_t *venue);
