/* live: recorded market data into a running instance, as if they came now: the work of the capture adapter.
 *
 *   files ─▶ capture_next ─▶ due? ─▶ codec ─▶ md.capture          INSTRUMENT_DEF ─▶ exec.capture ─▶ ids
 *
 * Begin    definitions go to the engine; nothing is read before every instrument has its id, so the first snapshot finds
 *          everyone ready.
 * Pace     a line is published when as much time has passed since the first one as lies between them in the recording,
 *          divided by `speed`. Speed 0 is the named exception to "a market data ring never waits": a line is published
 *          when engine and venue (while it lives) have taken all but a half of the ring, so nothing is lost however fast
 *          the files are.
 * Times    ts_recv_ns is the moment of publishing; ts_event_ns keeps its distance from it.
 * Faults   as in `hwal replay`: a line that cannot be had or read is logged and costs what it costs: books that it may
 *          have concerned are BROKEN until the recording's next snapshot.
 * Snapshots  nobody can be asked for one. A book that the engine publishes as BROKEN at two looks, while the codec
 *          believes it to be LIVE, is told to the codec as lost: it waits for the recording's next snapshot.
 * End      a log line; then the feed is silent (books age to STALE) and the role stays.
 * Threads  one. Memory: allocated by live_open. */
#pragma once

#include "adapters/capture/capture.h"
#include "adapters/venue.h"
#include "ipc/records.h"
#include "ipc/ring_broadcast.h"
#include "ipc/role.h"
#include "tools/capture_def.h"

typedef struct live {
    role_ctx_t           *ctx;
    capture_def_t         def;
    uint32_t              ids[CAPTURE_INSTRUMENTS_MAX]; /* the engine's, by place in def; 0 = not yet */
    bool                  suspect[CAPTURE_INSTRUMENTS_MAX];
    const venue_codec_t  *venue;
    void                 *codec[CAPTURE_KINDS];
    capture_t            *cap;
    capture_line_t        line;
    bool                  begun, pending, ended; /* pending: line waits for its time */
    int64_t               speed_milli;           /* 0 = as fast as the engine takes it */
    int64_t               first_recv_ns;         /* of the recording */
    int64_t               began_mono_ns;
    int64_t               shift_ns; /* of the line that is being published: now - its receive time */
    int64_t               utc_ns;
    int64_t               defined_mono_ns;
    uint64_t              lines, bad;
    uint32_t              wrote;
    md_buf_t              slot;
    ring_writer_t         md;
    lossless_writer_t     exec;
    records_reader_t      instruments, feeds;
    const ring_cursor_t  *taken; /* the engine's, of md.capture */
    const control_page_t *engine;
    const ring_cursor_t  *venue_taken; /* the venue's, likewise */
    const control_page_t *venue_control;
} live_t;

/* live_open: probe, codecs, rings. A sentence on failure. */
err_t live_open(live_t *live, role_ctx_t *ctx);
void  live_close(live_t *live);

/* live_turn: publish what is due; returns how many lines that were. live_sleep_ns: until the next one is due.
 * live_look: while housekeeping: ids, broken books. live_engine, live_venue: it has a new segment. */
uint32_t live_turn(live_t *live, int64_t mono_ns);
int64_t  live_sleep_ns(const live_t *live, int64_t mono_ns);
void     live_look(live_t *live, int64_t mono_ns);
void     live_engine(live_t *live);
void     live_venue(live_t *live);
