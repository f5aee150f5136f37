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
 * Errors   of two kinds, told apart by line.fault; the sentence names file and line in both.
 *          fault = 1: this line is bad, the next call goes on behind it.
 *            ERR_PARSE   no receive time, nothing behind it, or a NUL byte
 *            ERR_LIMIT   longer than CAPTURE_LINE_MAX; the rest is read over in the same memory
 *            ERR_STATE   the time is before that of the last good line of the file, or more than CAPTURE_JUMP_MAX_NS
 *                        after it: such a time is not believed (files that are further apart are files of their own)
 *          A bad line stands at the time of the last good line of its file, so good lines come out as without it.
 *          fault = 0: the stream ends here, and every later call says so again.
 *            ERR_TRUNCATED   gzip cut short, no newline at the end, no line at all
 *            ERR_PARSE       bad gzip data or checksum, bytes behind the gzip data
 *            ERR_IO          the file cannot be read
 *          All lines before such a fault, of all files, in order of time, have been delivered when it is reported.
 * Limits   CAPTURE_FILES_MAX files, regular ones; CAPTURE_LINE_MAX bytes a line, time stamp included. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"
#include "core/types/msg.h"

#define CAPTURE_FILES_MAX 16u
#define CAPTURE_LINE_MAX (4u << 20)
#define CAPTURE_JUMP_MAX_NS (INT64_C(24) * 60 * 60 * 1000000000) /* between lines of one file */
#define CAPTURE_SYMBOLS_MAX 64u
#define CAPTURE_PROBE_LINES 4096u

typedef struct capture capture_t;

typedef struct capture_line {
    int64_t     ts_recv_ns; /* of a line that cannot be had: the last good one of its file, 0 = none */
    const char *text;       /* the JSON; no zero behind it. Empty when the line cannot be had        */
    size_t      len;
    uint64_t    line_no; /* from 1, in its file                                                     */
    uint32_t    file;    /* index in paths[]                                                        */
    uint32_t    fault;   /* with an error: 1 = only this line is bad, go on; 0 = the stream ends     */
} capture_line_t;

size_t capture_align(void);
/* capture_footprint: bytes for so many files; 0 and a sentence when files is not in 1..CAPTURE_FILES_MAX. */
size_t capture_footprint(uint32_t files);

/* capture_open: open all files. paths must stay valid until capture_close.
 * Returns ERR_OK and *out; ERR_ARG; ERR_IO (cannot be opened); ERR_UNSUPPORTED (no regular file: a pipe, a directory, a
 * device; nothing was read from it and nothing was waited for). A sentence says which file; nothing is left open, mem
 * may be reused. What is wrong inside a file is reported by capture_next; a file without a line is such a fault. */
err_t capture_open(void *mem, const char *const *paths, uint32_t files, capture_t **out);

/* capture_next: the next line of all files.
 * Returns ERR_OK; ERR_END when all have ended in order (*line is unchanged); else see Errors above: go on if
 * line->fault. Every answer but ERR_END fills all of *line. */
err_t capture_next(capture_t *cap, capture_line_t *line);

/* capture_close: closes the files. */
void capture_close(capture_t *cap);

/* ---- probe: what is in a file, from its beginning ---------------------------------------------------------------- */
typedef struct capture_symbol {
    char     symbol[SYMBOL_MAX + 1];
    uint64_t lines;       /* stream lines seen */
    uint32_t px_decimals; /* most digits after the point, as they stand in the text: a scale that fits all seen */
    uint32_t qty_decimals;
    int64_t  px_gcd;  /* greatest common divisor of the prices seen, in 10^-px_decimals: a guess at the tick */
    int64_t  qty_gcd; /* likewise of quantities, in 10^-qty_decimals: a guess at the lot. 0 = none seen     */
} capture_symbol_t;

typedef struct capture_probe {
    uint8_t          kind; /* instrument_kind_t: `ps` seen = INVERSE, else `pu` seen = LINEAR, else SPOT */
    bool             has_snapshot;
    uint16_t         reserved;
    uint32_t         symbol_count;
    uint64_t         lines;                        /* looked at, good and bad */
    capture_symbol_t symbols[CAPTURE_SYMBOLS_MAX]; /* most lines first, then in order of appearance */
} capture_probe_t;

/* capture_probe_file: what the first CAPTURE_PROBE_LINES lines of one file show. A line that cannot be had or read is
 * passed over and leaves no trace; a fault of the file ends the look. A snapshot that names no symbol counts for the
 * scales of symbols[0] when nine in ten of the stream lines name that one; else nobody knows whose it is.
 * mem      capture_footprint(1) bytes, only used during the call
 * Returns  ERR_OK; what capture_open returns; ERR_LIMIT (more than CAPTURE_SYMBOLS_MAX symbols); and only if no line
 *          that could be read names a symbol: ERR_UNSUPPORTED (no Binance combined-stream capture; the sentence names
 *          the key that was found), else the first fault that was met. *out is untouched on failure. */
err_t capture_probe_file(void *mem, const char *path, capture_probe_t *out);
