/* venue_role: the simulated venue as a process: time, socket, recorded market and sleep for tools/venue_session.h. Its
 * state lies in its segment ("state"), where the next life finds it. Follow venue_main. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/types/time.h"
#include "ipc/message.h"
#include "ipc/ring_broadcast.h"
#include "ipc/role_wait.h"
#include "tools/venue_session.h"

#define TURN_EVENTS 4096u              /* of one turn: a burst does not keep us from the socket */
#define MARKET_BATCH_NS NS_PER_MS      /* market events are gathered for so long, requests and answers are not */
#define LOOK_AGAIN_NS (50 * NS_PER_US) /* when what is due cannot be done yet */
#define HOUSEKEEP_NS (100 * NS_PER_MS)
#define MARKET_READ_MAX 256u /* messages of the recording in a turn */

typedef struct venue_role {
    role_ctx_t     *ctx;
    venue_t        *venue;
    venue_session_t session;
    ring_reader_t   market; /* recorded market: md.capture; ring NULL = none yet */
    bool            market_held;
    int             listen_fd;
    int64_t     base_ns; /* venue's clock = CLOCK_MONOTONIC + this: a stepped wall clock neither stops nor moves it */
    int64_t     last_ns; /* venue's clock of the last turn */
    int64_t     housekeep_mono_ns;
    uint64_t    counted[3]; /* of session: messages, reports, bytes, as last added to the counters */
    uint64_t    message[MESSAGE_BYTES_MAX / 8];
    ring_meta_t meta; /* of message, while market_held: its instrument is not listed yet */
} venue_role_t;

/* ---- beginning ---------------------------------------------------------------------------------------------------- */

static err_t state_open(venue_role_t *role)
{
    role_ctx_t *ctx   = role->ctx;
    size_t      bytes = 0, old_bytes = 0;
    void       *mem = segment_find(&ctx->own, "state", SEGMENT_BLOB, &bytes);
    venue_cfg_t cfg;
    uint64_t    session = 0;
    err_t       err     = venue_config(ctx->config, &cfg);
    if (err != ERR_OK) {
        return err;
    }
    const size_t need = venue_footprint(&cfg);
    if (need == 0 || mem == NULL || bytes < need) {
        return need == 0 ? ERR_CONFIG
                         : err_set(ERR_INTERNAL, "venue: its segment has %zu bytes for its state, %zu are needed",
                                   bytes, need);
    }
    const int64_t    utc_ns = role_utc_ns();
    const segment_t *before = &ctx->peer_before[ROLE_VENUE];
    const void      *old    = before->head == NULL ? NULL : segment_find(before, "state", SEGMENT_BLOB, &old_bytes);
    role->venue             = mem;
    err                     = old == NULL ? ERR_NOT_FOUND : venue_adopt(mem, old, old_bytes, &cfg, utc_ns);
    if (err == ERR_OK) {
        log_write(&ctx->log, LOG_INFO, "goes on with the state of %s.%u: %u open orders, %" PRIu64 " executions",
                  before->head->role, before->gen, venue_open_orders(role->venue), venue_executions(role->venue));
    } else {
        if (old != NULL) {
            log_write(&ctx->log, LOG_WARN, "begins anew, orders and positions are gone: %s", err_msg());
        }
        if (getrandom(&session, sizeof session, 0) != (ssize_t)sizeof session) {
            return err_set(ERR_IO, "venue: getrandom: %s", strerror(errno));
        }
        role->venue = venue_new(mem, &cfg, session, utc_ns);
        assert(role->venue != NULL); /* the footprint was taken */
    }
    role->base_ns = venue_clock(role->venue) - role_mono_ns();
    role->last_ns = venue_clock(role->venue);
    return ERR_OK;
}

/* The ring of the newest capture adapter, from the oldest message that it keeps: what the engine has seen, we must see. */
static void market_join(venue_role_t *role)
{
    const ring_row_t *row   = topology_ring(RING_ID_MD_CAPTURE);
    const segment_t  *seg   = &role->ctx->peer[ROLE_CAPTURE];
    size_t            bytes = 0;
    const void       *ring  = seg->head == NULL ? NULL : segment_find(seg, row->object, row->kind, &bytes);
    role->market            = (ring_reader_t){0};
    role->market_held       = false;
    if (venue_generated(role->venue) || ring == NULL) {
        return;
    }
    if (ring_reader_join(&role->market, ring, bytes, RING_OLDEST) != ERR_OK) {
        log_write(&role->ctx->log, LOG_ERROR, "recorded market: %s", err_msg());
        role->market = (ring_reader_t){0};
    }
}

static err_t role_open(venue_role_t *role, role_ctx_t *ctx)
{
    *role = (venue_role_t){.ctx = ctx, .listen_fd = -1};
    for (uint32_t i = 0; i < ctx->file_count; i++) {
        role->listen_fd = ctx->files[i].kind == ROLE_FILE_LISTEN ? ctx->files[i].fd : role->listen_fd;
    }
    if (role->listen_fd < 0) {
        return err_set(ERR_INTERNAL, "venue: got no listening socket");
    }
    const err_t err = state_open(role);
    void       *in  = calloc(1, VENUE_SESSION_IN);
    void       *out = calloc(1, VENUE_SESSION_OUT);
    if (err != ERR_OK || in == NULL || out == NULL) {
        return err != ERR_OK ? err : err_set(ERR_LIMIT, "venue: out of memory");
    }
    venue_session_init(&role->session, role->venue, in, out);
    market_join(role);
    return ERR_OK;
}

/* ---- the turn ----------------------------------------------------------------------------------------------------- */

static void connection(venue_role_t *role)
{
    const int fd = accept4(role->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    log_write(&role->ctx->log, LOG_INFO, "session %s", venue_session_is_open(&role->session) ? "replaced" : "opened");
    counter_add(role->ctx->counters, COUNTER_RECONNECTS, 1);
    role->counted[2] = 0;
    venue_session_open(&role->session, fd);
}

/* Recorded market: what came since. A message of an instrument that the adapter has not listed yet waits here, and the
 * rest in the ring; when that overflows the loss is told like any other. */
static uint32_t market_read(venue_role_t *role, int64_t ts_ns)
{
    uint32_t count = 0;
    while (role->market.ring != NULL && count < MARKET_READ_MAX) {
        if (!role->market_held) {
            const err_t err = ring_read(&role->market, role->message, sizeof role->message, &role->meta);
            if (err == ERR_GAP) {
                const uint64_t lost = role->market.lost_to - role->market.lost_from + 1;
                counter_add(role->ctx->counters, COUNTER_MD_LOST, lost);
                log_write(&role->ctx->log, LOG_WARN, "recorded market: %" PRIu64 " messages lost", lost);
                venue_market_lost(role->venue, ts_ns);
                continue;
            }
            if (err == ERR_EMPTY) {
                break;
            }
            if (err != ERR_OK) {
                venue_market_lost(role->venue, ts_ns);
                continue;
            }
        }
        msg_t msg;
        count++;
        role->market_held = false;
        if (message_read(role->meta.type, role->message, role->meta.len, &msg) != ERR_OK) {
            log_write(&role->ctx->log, LOG_WARN, "recorded market: %s", err_msg());
            venue_market_lost(role->venue, ts_ns);
        } else if (venue_market(role->venue, &msg, ts_ns) == ERR_NOT_FOUND) {
            role->market_held = true;
            count--;
            break;
        }
    }
    atomic_store_explicit(&role->ctx->cursors[RING_ID_MD_CAPTURE].taken, role->market.next ? role->market.next - 1 : 0,
                          memory_order_relaxed);
    return count;
}

static uint32_t turn(venue_role_t *role, int64_t mono_ns)
{
    const int64_t  ts_ns = max_i64(role->base_ns + mono_ns, venue_clock(role->venue));
    uint32_t       work  = 0;
    const uint32_t read  = market_read(role, ts_ns);
    const err_t    err   = venue_session_turn(&role->session, ts_ns, TURN_EVENTS, &work);
    if (err != ERR_OK) { /* that an adapter goes is its own matter */
        log_write(&role->ctx->log, err == ERR_END ? LOG_INFO : LOG_WARN, "session ended: %s", err_msg());
    }
    role->last_ns = ts_ns;
    counter_add(role->ctx->counters, COUNTER_TURNS, 1);
    return work + read;
}

/* How long there is nothing to do. A turn that did nothing although something was due waits for room: look again soon. */
static int64_t sleep_ns(const venue_role_t *role, uint32_t work, int64_t mono_ns)
{
    if (role->ctx->config->run.wait == WAIT_SPIN) {
        return 0;
    }
    const int64_t now    = role->base_ns + mono_ns;
    const int64_t market = venue_due_ns(role->venue, true);
    int64_t       due    = min_i64(venue_due_ns(role->venue, false), now + role->housekeep_mono_ns - mono_ns);
    due                  = market == INT64_MAX ? due : min_i64(due, max_i64(market, role->last_ns + MARKET_BATCH_NS));
    return max_i64(due - now, work != 0 ? 0 : LOOK_AGAIN_NS);
}

static void count(venue_role_t *role)
{
    const uint64_t  now[3]  = {role->session.messages, role->session.reports, role->session.link.sent};
    const counter_t into[3] = {COUNTER_MD_MESSAGES, COUNTER_EXECS, COUNTER_SENT_BYTES};
    for (uint32_t i = 0; i < 3; i++) {
        counter_add(role->ctx->counters, into[i], now[i] - role->counted[i]);
        role->counted[i] = now[i];
    }
}

static void housekeep(venue_role_t *role, int64_t mono_ns)
{
    uint32_t    which = 0;
    role_news_t news;
    while ((news = role_news(role->ctx, &which)) != ROLE_NEWS_NONE) {
        if (news == ROLE_NEWS_PEER && which == ROLE_CAPTURE && !venue_generated(role->venue)) {
            venue_market_lost(role->venue, max_i64(role->base_ns + mono_ns, venue_clock(role->venue)));
            market_join(role);
        }
    }
    count(role);
    role_housekeep(role->ctx, mono_ns);
    role->housekeep_mono_ns = mono_ns + HOUSEKEEP_NS;
}

int venue_main(role_ctx_t *ctx)
{
    static venue_role_t role;
    if (role_open(&role, ctx) != ERR_OK) {
        return role_fail(ctx, err_msg());
    }
    const err_t err = role_sandbox(ctx);
    if (err != ERR_OK && err != ERR_UNSUPPORTED) {
        return role_fail(ctx, err_msg());
    }
    control_state(ctx->control, ROLE_RUN);
    int64_t mono_ns = role_mono_ns();
    while (!role_stopping(ctx)) { /* in an orderly stop after the adapter */
        const uint32_t work = turn(&role, mono_ns);
        if (mono_ns >= role.housekeep_mono_ns) {
            housekeep(&role, mono_ns);
        }
        role_arm(ctx);
        const bool more = market_read(&role, max_i64(role.base_ns + mono_ns, venue_clock(role.venue))) != 0;
        const bool full = venue_session_is_open(&role.session) && role.session.link.out_at < role.session.link.out_end;
        struct pollfd fds[2] = {{.fd = role.listen_fd, .events = POLLIN},
                                {.fd = role.session.link.fd, .events = (short)(full ? POLLIN | POLLOUT : POLLIN)}};
        if (role_wait(ctx, fds, 2, more ? 0 : sleep_ns(&role, work, role_mono_ns()))) {
            role.housekeep_mono_ns = 0;
        }
        if (fds[0].revents & POLLIN) {
            connection(&role);
        }
        mono_ns = role_mono_ns();
    }
    count(&role);
    venue_session_close(&role.session);
    role_housekeep(ctx, mono_ns);
    control_state(ctx->control, ROLE_HALT);
    return 0;
}
