/* lobster: order messages and the book after each of them, from the CSV files of LOBSTER (NASDAQ TotalView-ITCH).
 *
 *   MESSAGES.csv    34200.18960767,1,11885113,21,2238100,1      one line a message
 *                   time, type, order id, size, price, side
 *   ORDERBOOK.csv   2239500,100,2238100,21[,...]                line i: the book after message i, best level first
 *                   ask price, ask size, bid price, bid size    once a level; empty: 9999999999,0,-9999999999,0
 *
 * A file holds one of the two kinds, without a header line, as plain text or gzip (known by the first byte, several
 * members allowed). The last line may end without a newline: LOBSTER's shorter samples do. A gzip that is cut is found
 * all the same; a plain file that is cut inside its last number is not.
 *
 * Owner    the caller; one thread. The object is private to the process and holds a file descriptor: lobster_close.
 * Memory   the caller gives lobster_footprint() bytes; nothing is allocated, whatever the length of the file.
 * Units    time in nanoseconds after midnight at the exchange, exact. Copies that went through a program with times as
 *          doubles (35821.088778456004) are read as the nanosecond that was meant, at most 15 ps away.
 *          px in 10^-LOBSTER_PX_EXP dollars; qty in shares.
 * Errors   the sentence names file, line, field, its text and what is allowed.
 *          a line is bad (the next call gives the line behind it):
 *            ERR_PARSE   a field that is missing, no number, or too many; an empty level before a full one
 *            ERR_SCALE   a time between two nanoseconds, a price or size with a fraction
 *            ERR_RANGE   a number out of its limits
 *            ERR_STATE   a time before that of the message above
 *            ERR_CROSSED levels of a row out of order, or best bid not below best ask
 *            ERR_LIMIT   a line longer than LOBSTER_LINE_MAX, more than LOBSTER_LEVELS_MAX levels
 *          the file ends here, and every later call says so again:
 *            ERR_TRUNCATED gzip cut short   ERR_PARSE gzip damaged   ERR_IO cannot be read
 *          A book behind a message that was lost is nobody's book, so callers stop at the first error of either kind.
 * Limits   LOBSTER_LEVELS_MAX levels a side (the most that LOBSTER sells is 200); sizes to LOBSTER_QTY_MAX.
 * Sources  lobsterdata.com, "LOBSTER output structure"; the samples' own read-me of 1 September 2013. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"
#include "core/types/msg.h"
#include "core/types/time.h"

#define LOBSTER_PX_EXP 4
#define LOBSTER_LEVELS_MAX 200u
#define LOBSTER_LINE_MAX 16384u                      /* four numbers of up to 20 bytes, 200 times */
#define LOBSTER_PX_EMPTY INT64_C(9999999999)         /* marks an empty level; prices are below it */
#define LOBSTER_QTY_MAX INT64_C(1000000000000)       /* shares of an order or a level */
#define LOBSTER_TIME_MAX (INT64_C(86400) * NS_PER_S) /* a day */

typedef enum lobster_type {
    LOBSTER_NEW            = 1,
    LOBSTER_CANCEL         = 2, /* a part; qty is what went */
    LOBSTER_DELETE         = 3, /* qty is what was left     */
    LOBSTER_EXECUTE        = 4,
    LOBSTER_EXECUTE_HIDDEN = 5, /* of an order that the book never showed */
    LOBSTER_CROSS          = 6, /* an auction's trade */
    LOBSTER_HALT           = 7  /* px -1: halted, 0: quotes resume, 1: trading resumes; no order, no qty */
} lobster_type_t;

typedef struct lobster_message {
    int64_t  ts_event_ns; /* after midnight */
    int64_t  order_id;    /* 37; 0 where there is none */
    int64_t  qty;
    int64_t  px;
    uint64_t line_no; /* from 1 */
    uint8_t  type;    /* lobster_type_t */
    uint8_t  side;    /* side_t of the resting order */
} lobster_message_t;

typedef struct lobster_row {
    uint64_t line_no;                      /* from 1 */
    uint32_t levels;                       /* that a line of this file has room for */
    uint32_t count[2];                     /* bids, asks that are there */
    level_t  level[2][LOBSTER_LEVELS_MAX]; /* best first */
} lobster_row_t;

typedef struct lobster lobster_t;

/* lobster_align, lobster_footprint: of the memory for one file, about 300 kB. */
size_t lobster_align(void);
size_t lobster_footprint(void);

/* lobster_open: open a file of either kind. path must stay valid until lobster_close.
 * Returns ERR_OK and *out; ERR_IO (cannot be opened); ERR_UNSUPPORTED (no regular file; nothing was waited for).
 * Nothing is left open on failure. */
err_t lobster_open(void *mem, const char *path, lobster_t **out);

/* lobster_message: the next line of a message file. ERR_OK; ERR_END; else see Errors (*out untouched).
 * Cost: about 50 ns a number, inflate included. */
err_t lobster_message(lobster_t *file, lobster_message_t *out);

/* lobster_row: the next line of an order book file. The first line says how many levels a side every line has.
 * ERR_OK; ERR_END; else see Errors (*out is then unspecified). Cost: as above. */
err_t lobster_row(lobster_t *file, lobster_row_t *out);

/* lobster_close: closes the file. */
void lobster_close(lobster_t *file);
