/* venue_session: the simulated venue's side of one connection with its adapter (frames: adapters/net/frame_link.h):
 * requests in, market data and answers out, and what happens when the other side is slow.
 *
 *   venue ─▶ adapter   INSTRUMENT_DEF (topic: the venue's own id), CONTROL (session state; after all definitions),
 *                      BOOK_UPDATE, TRADE, TOP, EXEC_REPORT, MASS_STATUS
 *   adapter ─▶ venue   ORDER_REQUEST, MASS_CANCEL, ORDER_STATUS_REQUEST, MASS_STATUS_REQUEST, SNAPSHOT_REQUEST; in a recorded market
 *                      INSTRUMENT_DEF of what the engine knows (topic: its id), answered by CONTROL for a new venue id
 *   Ids of instruments in messages are the venue's; the adapter maps them. The socket is "venue.sock" in the instance's
 *   directory, made by the supervisor.
 *
 *   socket ─▶ frames ─▶ venue_request                       a frame that cannot be: the session ends, with a sentence
 *   venue_run ─▶ market data ─▶ buffer, while a quarter of it is free; else that instrument's data are dropped until
 *                               three quarters are free, and then begin again with a snapshot
 *   venue_next ─▶ answers ────▶ buffer, while there is any room; else they wait on the venue's line home. When that is
 *                               full the session ends: what was lost is told by the next one's mass status
 *
 * A session begins with definitions, session states and snapshots. One at a time: venue_session_open ends the one before.
 * Owner    one thread. Memory: two buffers of the caller's. */
#pragma once

#include "adapters/net/frame_link.h"
#include "tools/venue.h"

#define VENUE_SESSION_IN (256u << 10)
#define VENUE_SESSION_OUT (1u << 20)

typedef struct venue_session {
    venue_t     *venue;
    frame_link_t link;
    void        *in;       /* VENUE_SESSION_IN bytes, 8-aligned  */
    void        *out;      /* VENUE_SESSION_OUT bytes, 8-aligned */
    uint64_t     behind;   /* bit id - 1: data of this instrument are dropped until its next snapshot */
    uint64_t     told;     /* bit venue id: its session state was told (recorded market)              */
    uint64_t     messages; /* market data sent, ever    */
    uint64_t     dropped;  /* and not sent              */
    uint64_t     reports;  /* EXEC_REPORTs sent, ever   */
} venue_session_t;

/* venue_session_init: no connection yet. venue_session_open: fd is taken over (non-blocking reads and writes are asked
 * for each time). venue_session_close: also the line home. */
void venue_session_init(venue_session_t *session, venue_t *venue, void *in, void *out);
void venue_session_open(venue_session_t *session, int fd);
void venue_session_close(venue_session_t *session);

static inline bool venue_session_is_open(const venue_session_t *session)
{
    return session->link.fd >= 0;
}

/* venue_session_turn: everything that there is to do at ts_ns: frames in, events that are due (at most max), answers and
 * data out. work: how much there was. ERR_OK; any other: the session was ended, the sentence says why. */
err_t venue_session_turn(venue_session_t *session, int64_t ts_ns, uint32_t max, uint32_t *work);
