/* order_tally: the orders of one instrument kept the slow, obvious way, as a second opinion on core/book/mbo.h.
 *
 *     orders   a balanced tree of the C library, by id: {px, qty, side, stamp}
 *     levels   a sorted array a side: {px, qty, count}, moved up and down by what each record adds and takes
 *
 * Nothing is shared with mbo: not its levels, not its slots, not its queues. Time priority is a stamp that an order gets
 * when it comes, and again when a modify moves it to the tail (another price, or more quantity). So three things can be
 * held against each other: the book by order, this book by price, and the sum of this one's orders.
 *
 * Rules    those of dbn_book (adapters/files/dbn.h): A inserts, in place of an order of that id; C takes its quantity
 *          away; M sets price and quantity; R clears; T, F, N do nothing. Entries of MBO_UPDATE likewise; FILL is as
 *          CANCEL.
 * Memory   grows with the orders; allocated. For checking, not for running. One thread.
 * Units    as in the record. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "adapters/files/dbn.h"
#include "core/book/mbo.h"
#include "core/types/err.h"

#define ORDER_TALLY_TEXT 256u /* bytes of a sentence that names a difference */

typedef struct order_tally order_tally_t;

/* order_tally_new: NULL when there is no memory. order_tally_free: NULL is fine. */
order_tally_t *order_tally_new(void);
void           order_tally_free(order_tally_t *tally);

/* order_tally_clear: no orders. */
void order_tally_clear(order_tally_t *tally);

/* order_tally_record, order_tally_entry: fold one record, one entry of an MBO_UPDATE.
 * ERR_OK; with a sentence, and nothing changed: ERR_NOT_FOUND (C or M of an unknown order), ERR_RANGE (C of more than is
 * left), ERR_LIMIT (memory). O(log orders + levels). */
err_t order_tally_record(order_tally_t *tally, const dbn_mbo_t *record);
err_t order_tally_entry(order_tally_t *tally, const mbo_entry_t *entry);

/* order_tally_agrees: are the levels that the last record touched, the best ones and the counts those of the book? Else
 * text says the first difference. order_tally_equal: every level, and every queue order by order in time priority; and
 * the levels here are the sum of the orders here. O(orders log orders). */
bool order_tally_agrees(const order_tally_t *tally, const mbo_t *book, char text[ORDER_TALLY_TEXT]);
bool order_tally_equal(const order_tally_t *tally, const mbo_t *book, char text[ORDER_TALLY_TEXT]);
