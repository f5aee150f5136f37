/* oracle: the book compared with the venue's own best-quote stream, the strongest check that a capture allows.
 *
 * Both streams number their events by the same update id, but arrive apart: a quote may come well before or after the
 * diff that holds its id. So both are kept and compared by id at the end: after the diff that ends at id u, best bid
 * and ask with their quantities must equal the quote with the largest id <= u. Diffs before the first quote are
 * skipped.
 *
 * Memory   grows with the capture (40 bytes an event): for checking, not for running. One thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"

typedef struct oracle_quote {
    uint64_t id;
    int64_t  bid_px, bid_qty, ask_px, ask_qty;
} oracle_quote_t;

typedef struct oracle {
    oracle_quote_t *quotes;
    oracle_quote_t *books;
    size_t          quote_count, quote_cap;
    size_t          book_count, book_cap;
} oracle_t;

typedef struct oracle_result {
    uint64_t checked;
    uint64_t mismatched;
    uint64_t first_mismatch_id; /* update id of the first diff that differs; 0 = none */
} oracle_result_t;

err_t           oracle_quote(oracle_t *oracle, const oracle_quote_t *quote);
err_t           oracle_book(oracle_t *oracle, const oracle_quote_t *best);
oracle_result_t oracle_compare(oracle_t *oracle);
void            oracle_free(oracle_t *oracle);
