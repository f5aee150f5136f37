/* record_books: the books of a stream of our messages, beside it: what a recorder writes into a sync, and what a reader
 * that begins in the middle needs to go on.
 *
 * One book for each instrument that was defined, as deep as the stream makes it (core/book): of levels, or of single
 * orders. Which of the two, its first book message says, for good; a message of the other kind breaks it (GARBLED).
 *
 * Memory   a book of levels is allocated when its instrument is first defined; one of orders at the first MBO_UPDATE, and
 *          it moves into one twice as large when it is full. record_books_free gives all back. One thread. */
#pragma once

#include <stdbool.h>

#include "core/book/view.h"
#include "ipc/topology.h"

#define RECORD_BOOKS_MAX 64u

typedef struct record_books {
    book_cfg_t   cfg;
    uint32_t     count;                      /* instruments defined */
    uint32_t     partial;                    /* books in the middle of a message of several parts */
    bool         open[RECORD_BOOKS_MAX + 1]; /* which */
    instrument_t ins[RECORD_BOOKS_MAX + 1];  /* by id; instrument_id 0 = not defined */
    book_t      *book[RECORD_BOOKS_MAX + 1];
    bool         levels[RECORD_BOOKS_MAX + 1]; /* a BOOK_UPDATE came */
    l3_t        *l3[RECORD_BOOKS_MAX + 1];     /* an MBO_UPDATE came; NULL = none */
    mbo_cfg_t    room[RECORD_BOOKS_MAX + 1];   /* of l3 */
    uint32_t     orders[RECORD_BOOKS_MAX + 1]; /* of l3, at most so many stand */
} record_books_t;

typedef err_t (*record_books_emit_t)(void *ctx, const msg_t *msg);

/* record_books_define: an INSTRUMENT_DEF. *fresh: it was not known, or was another one: its book begins anew. Errors: the
 * sentence of instrument_init; ERR_LIMIT (id). */
err_t record_books_define(record_books_t *b, const msg_t *msg, bool *fresh);
void  record_books_free(record_books_t *b);

/* record_books_apply: a BOOK_UPDATE, MBO_UPDATE or FEED_STATE (of instrument 0: of all); anything else, and what is about no
 * instrument of ours, is passed over. What is wrong with it breaks the book, and view_health() says so. Errors: ERR_LIMIT
 * (memory for orders) with a sentence; the books are as before. */
err_t record_books_apply(record_books_t *b, const msg_t *msg, int64_t ts_ns);

/* record_books_view: the book of one instrument; VIEW_NONE when it is not defined. Until the next call of another function. */
view_t record_books_view(const record_books_t *b, uint32_t id);

/* record_books_snapshot: the book of one instrument as parts of a SNAPSHOT, BOOK_UPDATE or MBO_UPDATE (every order, the
 * best level first, the oldest of a level first), numbered so that the next update of the stream is the next in turn;
 * nothing when it is not known now (neither LIVE nor STALE). Cost: a few ns a level or order.
 * record_books_def: its definition as a message. */
err_t record_books_snapshot(const record_books_t *b, uint32_t id, int64_t ts_ns, record_books_emit_t emit, void *ctx);
msg_t record_books_def(const record_books_t *b, uint32_t id);
