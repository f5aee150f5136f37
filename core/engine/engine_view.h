/* engine_view: pure reads of an engine's state, for whoever publishes it, stores it or shows it. Nothing here changes
 * anything, and nothing here is called by the event path itself.
 *
 * All figures are those after the newest input; event_seq of a record is that input's sequence. Rows of orders:
 * 0 .. order_rows(engine_orders(e)) - 1; what an input touched is told by its outputs, but for BOOT (any order) and
 * TICK (feeds, accounts).
 *
 * Threads  the engine's own. Errors: false or NULL when there is no such thing (out untouched). */
#pragma once

#include "core/engine/engine.h"
#include "core/order/held.h"

/* engine_seq: inputs applied so far (refused ones too): the sequence of the newest one. engine_epoch: of ClOrdIDs.
 * engine_boot: the newest BOOT; all zero (but epoch, when the cfg gave one) before the first. */
uint64_t      engine_seq(const engine_t *engine);
uint32_t      engine_epoch(const engine_t *engine);
const boot_t *engine_boot(const engine_t *engine);

/* engine_image: the arena, which is the snapshot; engine_join works on any copy of these bytes. */
const void *engine_image(const engine_t *engine, size_t *bytes);

/* engine_image_used: bytes of the arena up to the last book that is defined. What lies behind has not been written since
 * engine_new: in memory that was zero then it is zero, and need not be there. */
size_t engine_image_used(const engine_t *engine);

uint32_t engine_accounts_max(const engine_t *engine);
uint32_t engine_account_count(const engine_t *engine); /* open ones: ids 1 .. count */
uint32_t engine_instruments_max(const engine_t *engine);

/* engine_book_record: the best n levels of each side as one BOOK_UPDATE that is a whole snapshot: bids, then asks, best
 * first. levels holds 2 * n, n at most BOOK_UPDATE_MAX_LEVELS / 2; entries beyond the counts are untouched. Cost ~2 ns
 * a level. */
bool engine_book_record(const engine_t *engine, uint32_t instrument_id, uint32_t n, book_update_t *out,
                        level_t *levels);

/* engine_trade_record: the last trade; false before the first. engine_statistics_record: its trading day so far.
 * engine_feed_record: health and reason of the book. */
bool engine_trade_record(const engine_t *engine, uint32_t instrument_id, trade_t *out);
bool engine_statistics_record(const engine_t *engine, uint32_t instrument_id, statistics_t *out);
bool engine_feed_record(const engine_t *engine, uint32_t instrument_id, feed_state_t *out);

/* engine_order_record: row as above. engine_position_record: false while nothing was ever booked there.
 * engine_account_record: money in the home currency; state_code is the code that an order without faults would be
 * denied with: the first of 141-143, 150 or the latched 251-253, 151, 152; 0 = none. O(1), each. */
void engine_order_record(const engine_t *engine, uint32_t row, order_record_t *out);
bool engine_position_record(const engine_t *engine, uint32_t account_id, uint32_t instrument_id, position_t *out);
bool engine_account_record(const engine_t *engine, uint32_t account_id, account_record_t *out);

/* engine_balance_record: row 0 .. engine_balance_rows() - 1: PORTFOLIO_CCYS_MAX rows an account, by id, its home currency first;
 * the last row is the tenant, account_id 0, in the home currency of account 1. false: there is no such currency (yet).
 * engine_sub_position_record: rows in the order in which they came; false: that row is a position as a whole. O(1), of the
 * tenant O(accounts). */
uint32_t engine_balance_rows(const engine_t *engine);
bool     engine_balance_record(const engine_t *engine, uint32_t row, balance_t *out);
uint32_t engine_sub_position_rows(const engine_t *engine);
bool     engine_sub_position_record(const engine_t *engine, uint32_t row, sub_position_t *out);

/* engine_alert_record: alert i of those kept, in no order; false past the last. engine_alerts_lost: open ones that were
 * given up for others, ever. */
bool     engine_alert_record(const engine_t *engine, uint32_t i, alert_t *out);
uint64_t engine_alerts_lost(const engine_t *engine);

/* engine_held: held orders (core/order/held.h); rows 0 .. held_rows() - 1. engine_held_record: row as above. */
const held_table_t *engine_held(const engine_t *engine);
void                engine_held_record(const engine_t *engine, uint32_t row, held_record_t *out);

/* engine_venue_record: what a venue said that it knows; false: it has said nothing. */
bool engine_venue_record(const engine_t *engine, uint32_t venue_id, venue_def_t *out);

/* engine_kill: kill i of those in force, by CONTROL or by a loss; false past the last. */
bool engine_kill(const engine_t *engine, uint32_t i, control_t *out);
