/* capture: recorded venue traffic as one stream of lines in order of receive time.
 *
 *   file 0 ─ gunzip ─ lines ─┐
 *   file 1 ─ gunzip ─ lines ─┼─▶ smallest receive time first ─▶ capture_next: ts_recv_ns, text, file, line number
 *   file k ─ gunzip ─ lines ─┘   (equal times: the file given first)
 *
 * A line is `<receive time, ns since the Unix epoch> <JSON>` and ends with '\n' (one '\r' before it is taken off). A
 * file is gzip (known by the first byte, several members allowed) or plain. Files that continue each other come out
 * one after the other, files that overlap in time are interleaved: both are the same merge.
 *
 * Owner    the caller; one thread. The object is private to the process and holds file descriptors: capture_close.
 * Memory   the caller gives capture_footprint(files) bytes; nothing is allocated, whatever the length of the files. A
 *          line is a view into that memory, good until the next call.
 * Pacing   is the caller's: ts_recv_ns is all that it needs.
 * Errors   ERR_TRUNCATED (gzip cut short, no newline at the end), ERR_PARSE (bad gzip, checksum, line or time stamp),
 *          ERR_STATE (time goes backwards within a file), ERR_LIMIT (line too long), ERR_IO. The sentence names file
 *          and line. All lines before the fault, of all files, in order of time, have been delivered when it is
 *          reported; it ends the stream: every later call reports it again.
 * Limits   CAPTURE_FILES_MAX files; CAPTURE_LINE_MAX bytes a line, time stamp included. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"
#include "core/types/msg.h"

#define CAPTURE_FILES_MAX 16u
#define CAPTURE_LINE_MAX (4u << 20)
#define CAPTURE_SYMBOLS_MAX 64u
#define CAPTURE_PROBE_LINES 4096u

typedef struct capture capture_t;

typedef struct capture_line {
    int64_t     ts_recv_ns;
    const char *text; /* the JSON; no zero behind it */
    size_t      len;
    uint64_t    line_no; /* from 1, in its file */
    uint32_t    file;    /* index in paths[]    */
    uint32_t    reserved;
} capture_line_t;

size_t capture_align(void);
/* capture_footprint: bytes for so many files; 0 and a sentence when files is not in 1..CAPTURE_FILES_MAX. */
size_t capture_footprint(uint32_t files);

/* capture_open: open all files. paths must stay valid until capture_close.
 * Returns ERR_OK and *out; ERR_ARG or ERR_IO with a sentence: nothing is left open, mem may be reused. What is wrong
 * inside a file is reported by capture_next; a file without a line is such a fault (ERR_TRUNCATED). */
err_t capture_open(void *mem, const char *const *paths, uint32_t files, capture_t **out);

/* capture_next: the next line of all files. ERR_OK; ERR_END when all have ended in order; else see Errors above. */
err_t capture_next(capture_t *cap, capture_line_t *line);

/* capture_close: closes the files. */
void capture_close(capture_t *cap);

/* ---- probe: what is in a file, from its beginning ---------------------------------------------------------------- */
typedef struct capture_symbol {
    char     symbol[SYMBOL_MAX + 1];
    uint64_t lines; /* stream lines seen */
    uint32_t px_decimals;  /* most digits after the point, as they stand in the text: a scale that fits all seen */
    uint32_t qty_decimals;
    int64_t  px_gcd;       /* greatest common divisor of the prices seen, in 10^-px_decimals: a guess at the tick */
    int64_t  qty_gcd;      /* likewise of quantities, in 10^-qty_decimals: a guess at the lot. 0 = none seen     */
} capture_symbol_t;

typedef struct capture_probe {
    uint8_t          kind; /* instrument_kind_t: `ps` seen = INVERSE, else `pu` seen = LINEAR, else SPOT */
    bool             has_snapshot;
    uint16_t         reserved;
    uint32_t         symbol_count;
    uint64_t         lines; /* that were read */
    capture_symbol_t symbols[CAPTURE_SYMBOLS_MAX];
} capture_probe_t;

/* capture_probe_file: what the first CAPTURE_PROBE_LINES lines of one file show.
 * mem      capture_footprint(1) bytes, only used during the call
 * Returns  ERR_OK; ERR_UNSUPPORTED (no Binance combined-stream capture; the sentence names the key that was found);
 *          ERR_LIMIT (more than CAPTURE_SYMBOLS_MAX symbols). A fault of the file or of a line ends the look, and is
 *          returned only if no symbol was found before it. *out is untouched on failure. */
err_t capture_probe_file(void *mem, const char *path, capture_probe_t *out);
