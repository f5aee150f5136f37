#include "tools/venue_session.h"

#include <assert.h>

#define DATA_ROOM (VENUE_SESSION_OUT / 4)         /* less free: no more market data */
#define SNAPSHOT_ROOM (VENUE_SESSION_OUT / 4 * 3) /* free before an instrument begins again */

void venue_session_init(venue_session_t *session, venue_t *venue, void *in, void *out)
{
    *session = (venue_session_t){.venue = venue, .link = {.fd = -1}, .in = in, .out = out};
}

void venue_session_close(venue_session_t *session)
{
    frame_link_close(&session->link);
    venue_home(session->venue, false);
}

/* ---- out ---------------------------------------------------------------------------------------------------------- */

static void put(venue_session_t *session, uint32_t topic, const msg_t *msg)
{
    const err_t err = frame_link_put(&session->link, topic, msg);
    assert(err == ERR_OK); /* the caller looked for room, and these messages are ours */
}

static void put_definition(venue_session_t *session, const instrument_t *ins)
{
    put(session, ins->def.instrument_id,
        &(msg_t){.type       = MSG_INSTRUMENT_DEF,
                 .body       = &ins->def,
                 .tail       = ins->bands,
                 .tail_count = ins->band_count,
                 .text       = ins->symbol});
}

static void put_open(venue_session_t *session, uint16_t venue_id)
{
    if (venue_id < 64 && (session->told >> venue_id & 1) == 0) {
        const control_t open = {
            .kind = CONTROL_SESSION, .scope_type = SCOPE_VENUE, .scope_id = venue_id, .value = SESSION_OPEN};
        session->told |= 1ull << venue_id;
        put(session, 0, &(msg_t){.type = MSG_CONTROL, .body = &open});
    }
}

void venue_session_open(venue_session_t *session, int fd)
{
    venue_session_close(session);
    frame_link_open(&session->link, fd, session->in, VENUE_SESSION_IN, session->out, VENUE_SESSION_OUT);
    venue_home(session->venue, true);
    session->told   = 0;
    session->behind = 0;
    const instrument_t *ins;
    for (uint32_t id = 1; id <= VENUE_INSTRUMENTS_MAX && (ins = venue_listed(session->venue, id)) != NULL; id++) {
        if (ins->def.venue_id == VENUE_ID && venue_generated(session->venue)) {
            put_definition(session, ins);
            session->behind |= 1ull << (id - 1);
        }
    }
    if (session->behind != 0) {
        put_open(session, VENUE_ID); /* after all definitions: so they are known to be complete */
    }
}

/* Market data as it happens. The first member of every market data message is the instrument's id. */
static void on_market(void *ctx, const msg_t *msg)
{
    venue_session_t *session = ctx;
    const uint32_t   id      = *(const uint32_t *)msg->body;
    const uint64_t   bit     = 1ull << (id - 1);
    if (!venue_session_is_open(session)) {
        return;
    }
    if ((session->behind & bit) != 0 || frame_link_room(&session->link) < DATA_ROOM) {
        session->behind |= bit;
        session->dropped++;
        return;
    }
    put(session, id, msg);
    session->messages++;
}

static void snapshots(venue_session_t *session)
{
    for (uint64_t left = session->behind; left != 0; left &= left - 1) {
        const uint32_t index = (uint32_t)__builtin_ctzll(left);
        if (frame_link_room(&session->link) < SNAPSHOT_ROOM) {
            return;
        }
        session->behind &= ~(1ull << index);
        venue_snapshot(session->venue, index + 1, on_market, session);
    }
}

static uint32_t answers(venue_session_t *session, int64_t ts_ns)
{
    msg_t    msg;
    uint32_t count = 0;
    for (; frame_link_room(&session->link) >= FRAME_MAX && venue_next(session->venue, ts_ns, &msg); count++) {
        put(session, 0, &msg);
        session->reports += msg.type == MSG_EXEC_REPORT;
        venue_take(session->venue);
    }
    return count;
}

/* ---- in ----------------------------------------------------------------------------------------------------------- */

static err_t list(venue_session_t *session, uint32_t topic, const msg_t *msg)
{
    instrument_def_t def = *(const instrument_def_t *)msg->body;
    instrument_t     ins;
    def.instrument_id = topic;
    err_t err         = instrument_init(&ins, &def, msg->text, msg->tail, msg->tail_count);
    err               = err != ERR_OK ? err : venue_instrument(session->venue, &ins);
    if (err == ERR_OK) {
        put_open(session, def.venue_id);
    }
    return err;
}

static err_t frame(venue_session_t *session, uint32_t topic, const msg_t *msg, int64_t ts_ns)
{
    if (msg->type == MSG_INSTRUMENT_DEF) {
        return list(session, topic, msg);
    }
    if (msg->type == MSG_SNAPSHOT_REQUEST) {
        const snapshot_req_t *ask = msg->body;
        if (!venue_generated(session->venue) || venue_listed(session->venue, ask->instrument_id) == NULL) {
            return err_set(ERR_ARG, "venue: snapshot of instrument %u, which has none", ask->instrument_id);
        }
        session->behind |= 1ull << (ask->instrument_id - 1);
        return ERR_OK;
    }
    return venue_request(session->venue, msg, ts_ns);
}

/* Answers of frame() itself are small and rare, but need room; without it, as when the venue has no room for requests,
 * frames stay in the socket. */
static err_t frames(venue_session_t *session, int64_t ts_ns, uint32_t *work)
{
    uint32_t topic = 0;
    msg_t    msg;
    err_t    err = ERR_OK;
    while (err == ERR_OK && venue_ready(session->venue) && frame_link_room(&session->link) >= 2 * FRAME_MAX) {
        err = frame_link_next(&session->link, &topic, &msg);
        if (err == ERR_AGAIN) {
            err = frame_link_fill(&session->link);
            if (err == ERR_AGAIN) {
                return ERR_OK;
            }
        } else if (err == ERR_OK) {
            err = frame(session, topic, &msg, ts_ns);
            ++*work;
        }
    }
    return err;
}

err_t venue_session_turn(venue_session_t *session, int64_t ts_ns, uint32_t max, uint32_t *work)
{
    err_t err = ERR_OK;
    *work     = 0;
    if (venue_session_is_open(session)) {
        err = frames(session, ts_ns, work);
    }
    *work += venue_run(session->venue, ts_ns, max, on_market, session);
    if (err == ERR_OK && venue_session_is_open(session)) {
        snapshots(session);
        *work += answers(session, ts_ns);
        if (venue_overflowed(session->venue)) {
            err = err_set(ERR_LIMIT, "session: more than %u reports wait for an adapter that does not read them",
                          VENUE_HOME_MAX);
        } else {
            err = frame_link_flush(&session->link);
            err = err == ERR_AGAIN ? ERR_OK : err;
        }
    }
    if (err != ERR_OK) {
        venue_session_close(session);
    }
    return err;
}
