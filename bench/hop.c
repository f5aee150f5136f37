#include "bench/hop.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hwal_fbs.h"

#define INLINE static inline __attribute__((always_inline))
#define BOOK_LEVELS 16u
#define COPY_MAX 512u

/* ---- payloads: words of a row that the message's number begins, so that a torn or an old one shows
 * ----------------- */

/* name, bytes of the payload, message type (0 = plain words) */
#define PAYLOADS(X)                                                                                                    \
    X(words40, 40, 0)                                                                                                  \
    X(words64, 64, 0)                                                                                                  \
    X(words104, 104, 0)                                                                                                \
    X(words256, 256, 0)                                                                                                \
    X(top, HWAL_TOP_MSG_BYTES, MSG_TOP)                                                                                \
    X(trade, HWAL_TRADE_MSG_BYTES, MSG_TRADE)                                                                          \
    X(order, HWAL_ORDER_REQUEST_MSG_BYTES, MSG_ORDER_REQUEST)                                                          \
    X(exec, HWAL_EXEC_REPORT_MSG_BYTES, MSG_EXEC_REPORT)                                                               \
    X(book16, HWAL_BOOK_UPDATE_MSG_BYTES(BOOK_LEVELS), MSG_BOOK_UPDATE)

INLINE void fill(void *at, size_t bytes, uint64_t number)
{
    uint64_t *words = at;
    for (size_t i = 0; i < bytes / 8; i++) {
        words[i] = number * 0x9e3779b97f4a7c15u + i;
    }
}

INLINE uint64_t differs(const void *at, size_t bytes, uint64_t number)
{
    const uint64_t *words = at;
    uint64_t        bits  = 0;
    for (size_t i = 0; i < bytes / 8; i++) {
        bits |= words[i] ^ (number * 0x9e3779b97f4a7c15u + i);
    }
    return bits != 0;
}

#define WRITE(name)                                                                                                    \
    {                                                                                                                  \
        hwal_##name##_msg_slot_t slot;                                                                                 \
        hwal_##name##_msg_reserve(at, bytes, &slot);                                                                   \
        fill(slot.body, sizeof *slot.body, number);                                                                    \
        return;                                                                                                        \
    }
#define CHECK(name)                                                                                                    \
    {                                                                                                                  \
        const hwal_##name##_msg_view_t view = hwal_##name##_msg_view(at);                                              \
        return differs(view.body, sizeof *view.body, number);                                                          \
    }

/* type and bytes are constants where these are inlined: one case is left of each. */
INLINE void payload_write(msg_type_t type, void *at, size_t bytes, uint64_t number)
{
    switch (type) {
    case MSG_TOP: WRITE(top)
    case MSG_TRADE: WRITE(trade)
    case MSG_ORDER_REQUEST: WRITE(order_request)
    case MSG_EXEC_REPORT: WRITE(exec_report)
    case MSG_BOOK_UPDATE: {
        hwal_book_update_msg_slot_t slot;
        hwal_book_update_msg_reserve(at, bytes, &slot);
        fill(slot.body, sizeof *slot.body, number);
        fill(slot.levels, BOOK_LEVELS * sizeof *slot.levels, number + 1);
        hwal_book_update_msg_commit(&slot, BOOK_LEVELS);
        return;
    }
    default: fill(at, bytes, number);
    }
}

INLINE uint64_t payload_differs(msg_type_t type, const void *at, size_t bytes, uint64_t number)
{
    switch (type) {
    case MSG_TOP: CHECK(top)
    case MSG_TRADE: CHECK(trade)
    case MSG_ORDER_REQUEST: CHECK(order_request)
    case MSG_EXEC_REPORT: CHECK(exec_report)
    case MSG_BOOK_UPDATE: {
        const hwal_book_update_msg_view_t view = hwal_book_update_msg_view(at);
        return view.levels_count != BOOK_LEVELS || differs(view.body, sizeof *view.body, number) ||
               differs(view.levels, BOOK_LEVELS * sizeof *view.levels, number + 1);
    }
    default: return differs(at, bytes, number);
    }
}

/* ---- one message by each ring; its number is the ring's sequence
 * --------------------------------------------------- */

INLINE ring_meta_t meta_of(msg_type_t type, size_t bytes)
{
    return (ring_meta_t){.len = (uint32_t)bytes, .type = (uint16_t)type};
}

INLINE void broadcast_put(hop_side_t *s, msg_type_t type, size_t bytes)
{
    const ring_meta_t meta = meta_of(type, bytes);
    payload_write(type, ring_reserve(&s->cast_to), bytes, s->cast_to.next);
    ring_commit(&s->cast_to, &meta);
}

/* ERR_OK: a message was received and looked at; ERR_EMPTY, ERR_GAP. */
INLINE err_t broadcast_look(hop_side_t *s, msg_type_t type, size_t bytes)
{
    _Alignas(8) uint8_t copy[COPY_MAX];
    ring_meta_t         meta;
    const err_t         err = ring_read(&s->cast_from, copy, sizeof copy, &meta);
    if (err == ERR_OK) {
        s->received++;
        s->wrong += meta.len != bytes || payload_differs(type, copy, bytes, s->cast_from.next - 1);
    }
    return err;
}

INLINE void broadcast_get(hop_side_t *s, msg_type_t type, size_t bytes)
{
    for (err_t err; (err = broadcast_look(s, type, bytes)) != ERR_OK;) {
        s->wrong += err != ERR_EMPTY;
    }
}

INLINE void broadcast_flood(hop_side_t *s, uint32_t n, msg_type_t type, size_t bytes)
{
    for (uint32_t i = 0; i < n; i++) {
        broadcast_put(s, type, bytes);
    }
}

/* Until the number of messages that went out was read or lost. */
INLINE void broadcast_drain(hop_side_t *s, uint32_t n, msg_type_t type, size_t bytes)
{
    s->got += n;
    while (s->cast_from.next <= s->got) {
        s->wrong += broadcast_look(s, type, bytes) == ERR_PARSE;
    }
}

INLINE void lossless_put_one(hop_side_t *s, msg_type_t type, size_t bytes)
{
    const ring_meta_t meta = meta_of(type, bytes);
    while (lossless_room(&s->safe_to, 1) == 0) {
        __builtin_ia32_pause();
    }
    payload_write(type, lossless_slot(&s->safe_to, 0), bytes, s->safe_to.next);
    lossless_meta(&s->safe_to, 0, &meta);
    lossless_commit(&s->safe_to, 1);
}

INLINE err_t lossless_look(hop_side_t *s, uint32_t i, msg_type_t type, size_t bytes)
{
    ring_meta_t meta;
    const void *payload;
    const err_t err = lossless_peek_at(&s->safe_from, i, &meta, &payload);
    if (err == ERR_OK) {
        s->received++;
        s->wrong += meta.len != bytes || payload_differs(type, payload, bytes, s->safe_from.next + i);
    }
    return err;
}

INLINE void lossless_get(hop_side_t *s, msg_type_t type, size_t bytes)
{
    for (err_t err; (err = lossless_look(s, 0, type, bytes)) != ERR_OK;) {
        s->wrong += err != ERR_EMPTY;
    }
    lossless_take(&s->safe_from);
}

INLINE void lossless_flood(hop_side_t *s, uint32_t n, msg_type_t type, size_t bytes)
{
    const ring_meta_t meta = meta_of(type, bytes);
    while (n != 0) {
        const uint32_t want  = n < HOP_BATCH ? n : HOP_BATCH;
        const uint32_t room  = lossless_room(&s->safe_to, want);
        const uint32_t batch = room < want ? room : want;
        for (uint32_t i = 0; i < batch; i++) {
            payload_write(type, lossless_slot(&s->safe_to, i), bytes, s->safe_to.next + i);
            lossless_meta(&s->safe_to, i, &meta);
        }
        if (batch != 0) {
            lossless_commit(&s->safe_to, batch);
        }
        n -= batch;
    }
}

INLINE void lossless_drain(hop_side_t *s, uint32_t n, msg_type_t type, size_t bytes)
{
    while (n != 0) {
        uint32_t batch = 0;
        err_t    err   = ERR_OK;
        while (batch < n && batch < HOP_BATCH && (err = lossless_look(s, batch, type, bytes)) == ERR_OK) {
            batch++;
        }
        s->wrong += err == ERR_PARSE;
        if (batch != 0) {
            lossless_take_n(&s->safe_from, batch);
        }
        n -= batch;
    }
}

#define LOOPS(ring, put, get, name, bytes, type)                                                                       \
    static void ring##_##name##_ping(hop_side_t *s, uint32_t n)                                                        \
    {                                                                                                                  \
        for (uint32_t i = 0; i < n; i++) {                                                                             \
            put(s, type, bytes);                                                                                       \
            get(s, type, bytes);                                                                                       \
        }                                                                                                              \
    }                                                                                                                  \
    static void ring##_##name##_clocked(hop_side_t *s, uint32_t n)                                                     \
    {                                                                                                                  \
        for (uint32_t i = 0; i < n; i++) {                                                                             \
            const uint64_t t0 = bench_begin();                                                                         \
            put(s, type, bytes);                                                                                       \
            get(s, type, bytes);                                                                                       \
            s->ticks[i] = bench_end() - t0;                                                                            \
        }                                                                                                              \
    }                                                                                                                  \
    static void ring##_##name##_pong(void *side, uint32_t n)                                                           \
    {                                                                                                                  \
        hop_side_t *s = side;                                                                                          \
        for (uint32_t i = 0; i < n; i++) {                                                                             \
            get(s, type, bytes);                                                                                       \
            put(s, type, bytes);                                                                                       \
        }                                                                                                              \
    }                                                                                                                  \
    static void ring##_##name##_flood(hop_side_t *s, uint32_t n)                                                       \
    {                                                                                                                  \
        ring##_flood(s, n, type, bytes);                                                                               \
    }                                                                                                                  \
    static void ring##_##name##_drain(void *side, uint32_t n)                                                          \
    {                                                                                                                  \
        ring##_drain(side, n, type, bytes);                                                                            \
    }
#define BROADCAST_LOOPS(name, bytes, type) LOOPS(broadcast, broadcast_put, broadcast_get, name, bytes, type)
#define LOSSLESS_LOOPS(name, bytes, type) LOOPS(lossless, lossless_put_one, lossless_get, name, bytes, type)
PAYLOADS(BROADCAST_LOOPS)
PAYLOADS(LOSSLESS_LOOPS)

/* ---- peers
 * --------------------------------------------------------------------------------------------------------- */

static void peer_put(hop_side_t *s)
{
    peer_message_t message;
    fill(&message, sizeof message, ++s->sent);
    while (!s->peer->send(&message)) {
        __builtin_ia32_pause();
    }
}

static void peer_get(hop_side_t *s)
{
    peer_message_t message;
    while (!s->peer->receive(&message)) {
    }
    s->received++;
    s->wrong += differs(&message, sizeof message, ++s->got);
}

static void peer_ping(hop_side_t *s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        peer_put(s);
        peer_get(s);
    }
}

static void peer_clocked(hop_side_t *s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t t0 = bench_begin();
        peer_put(s);
        peer_get(s);
        s->ticks[i] = bench_end() - t0;
    }
}

static void peer_pong(void *side, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        peer_get(side);
        peer_put(side);
    }
}

static void peer_flood(hop_side_t *s, uint32_t n)
{
    peer_message_t messages[HOP_BATCH];
    while (n != 0) {
        const uint32_t batch = n < HOP_BATCH ? n : HOP_BATCH;
        for (uint32_t i = 0; i < batch; i++) {
            fill(&messages[i], sizeof messages[i], s->sent + 1 + i);
        }
        for (uint32_t out = 0; out < batch;) {
            out += s->peer->send_batch(&messages[out], batch - out);
        }
        s->sent += batch;
        n -= batch;
    }
}

static void peer_drain(void *side, uint32_t n)
{
    hop_side_t    *s = side;
    peer_message_t messages[HOP_BATCH];
    while (n != 0) {
        const uint32_t batch = s->peer->receive_batch(messages, n < HOP_BATCH ? n : HOP_BATCH);
        for (uint32_t i = 0; i < batch; i++) {
            s->wrong += differs(&messages[i], sizeof messages[i], ++s->got);
        }
        s->received += batch;
        n -= batch;
    }
}

static void peer_flood_single(hop_side_t *s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        peer_put(s);
    }
}

static void peer_drain_single(void *side, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        peer_get(side);
    }
}

/* ---- the table
 * ------------------------------------------------------------------------------------------------------ */

typedef struct hop_row {
    const char *ring;
    const char *message;
    uint32_t    bytes;
    msg_type_t  type;
    hop_loops_t loops;
} hop_row_t;

#define ROW(ring, name, bytes, type)                                                                                   \
    {#ring,                                                                                                            \
     type ? " " #name : "",                                                                                            \
     bytes,                                                                                                            \
     type,                                                                                                             \
     {ring##_##name##_ping, ring##_##name##_clocked, ring##_##name##_pong, ring##_##name##_flood,                      \
      ring##_##name##_drain}},
#define BROADCAST_ROW(name, bytes, type) ROW(broadcast, name, bytes, type)
#define LOSSLESS_ROW(name, bytes, type) ROW(lossless, name, bytes, type)
static const hop_row_t rows[] = {PAYLOADS(BROADCAST_ROW) PAYLOADS(LOSSLESS_ROW)};
#define ROWS (sizeof rows / sizeof rows[0])
_Static_assert(ROWS + 2 * PEER_COUNT <= HOP_MAX, "room for all of them");

static const hop_loops_t peer_loops   = {peer_ping, peer_clocked, peer_pong, peer_flood, peer_drain};
static const hop_loops_t single_loops = {peer_ping, peer_clocked, peer_pong, peer_flood_single, peer_drain_single};

static hop_t *add(hops_t *hops, const char *ring, const char *message, uint32_t bytes, const hop_loops_t *loops)
{
    void *sides = NULL, *ticks = NULL;
    if (pair_memory(2 * sizeof(hop_side_t), &sides) != ERR_OK || pair_memory(PAIR_WINDOW * 8, &ticks) != ERR_OK) {
        return NULL;
    }
    hop_t *hop = &hops->hop[hops->count++];
    *hop       = (hop_t){.bytes = bytes, .loops = *loops, .side = sides};
    snprintf(hop->name, sizeof hop->name, "%s%s", ring, message);
    hop->side[0].ticks = ticks;
    return hop;
}

/* A ring each way: side i writes ring i and reads the other one. */
static err_t join_rings(hop_t *hop, bool broadcast, uint32_t slots, uint32_t stride)
{
    const size_t bytes = broadcast ? ring_broadcast_footprint(slots, stride) : ring_lossless_footprint(slots, stride);
    void        *ring[2], *cursors = NULL;
    err_t        err = pair_memory(2 * sizeof(ring_cursor_t), &cursors);
    for (int i = 0; !err && i < 2; i++) {
        err = pair_memory(bytes, &ring[i]);
        if (!err) {
            broadcast ? ring_broadcast_new(ring[i], slots, stride) : ring_lossless_new(ring[i], slots, stride);
        }
    }
    for (int i = 0; !err && i < 2; i++) {
        hop_side_t    *s      = &hop->side[i];
        ring_cursor_t *cursor = cursors; /* i: of the reader of ring i */
        if (broadcast) {
            err = ring_writer_join(&s->cast_to, ring[i], bytes);
            err = err ? err : ring_reader_join(&s->cast_from, ring[!i], bytes, RING_OLDEST);
        } else {
            err = lossless_writer_join(&s->safe_to, ring[i], bytes);
            err = err ? err : lossless_reader_join(&s->safe_from, ring[!i], bytes, &cursor[!i], 0);
            lossless_writer_cursor(&s->safe_to, &cursor[i]);
        }
    }
    return err;
}

static err_t add_ours(hops_t *hops, bool messages)
{
    for (size_t i = 0; i < ROWS; i++) {
        const hop_row_t *row    = &rows[i];
        const uint32_t   held   = RING_SLOT_HEAD + row->bytes;
        const uint32_t   stride = held <= 64 ? 64 : (held + 127) / 128 * 128;
        if (!messages && (row->type != MSG_NONE || row->bytes > 64)) {
            continue;
        }
        hop_t *hop = add(hops, row->ring, row->message, row->bytes, &row->loops);
        if (hop == NULL) {
            return ERR_LIMIT;
        }
        const bool broadcast = strcmp(row->ring, "broadcast") == 0;
        hop->lines           = (held + 63) / 64;
        const err_t err      = join_rings(hop, broadcast, broadcast && !messages ? HOP_SLOTS_FLOOD : HOP_SLOTS, stride);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

static hop_t *add_peer(hops_t *hops, const peer_t *peer, const char *how, const hop_loops_t *loops)
{
    hop_t *hop = add(hops, peer->name, how, PEER_MESSAGE, loops);
    if (hop != NULL) {
        hop->peer         = true;
        hop->side[0].peer = hop->side[1].peer = peer;
    }
    return hop;
}

static err_t add_peer_both(hops_t *hops, const bench_t *bench, const peer_t *peer, int index, bool flood)
{
    if (index == PEER_ICEORYX && !bench->daemon) {
        bench_note(bench, "SKIP iceoryx: iox-roudi does not run here (package iceoryx: make deps-bench)");
        return ERR_OK;
    }
    hop_t *hop = add_peer(hops, peer, "", &peer_loops);
    if (hop == NULL || (peer->bytes != 0 && pair_memory(peer->bytes, &hop->peer_mem) != ERR_OK)) {
        return ERR_LIMIT;
    }
    hop->joins = true;
    peer->format(hop->peer_mem);
    return !flood || add_peer(hops, peer, " x1", &single_loops) != NULL ? ERR_OK : ERR_LIMIT;
}

static err_t add_peers(hops_t *hops, const bench_t *bench, bool flood)
{
    static const char *const names[PEER_COUNT] = {"ck_ring", "rte_ring", "boost spsc_queue", "iceoryx"};
    const peer_t *const     *table             = bench_peers_symbol(PEER_TABLE);
    if (table == NULL) {
        bench_note(bench,
                   "SKIP peers: no hwal-peers.so beside hwal: make deps-bench (packages), then make bench-peers");
        return ERR_OK;
    }
    for (int i = 0; i < PEER_COUNT; i++) {
        if (table[i] == NULL) {
            bench_note(
                bench,
                "SKIP %s: its package was not there when the peers were built: make deps-bench, make bench-peers",
                names[i]);
            continue;
        }
        const err_t err = add_peer_both(hops, bench, table[i], i, flood);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

static bool start(void *context, unsigned side)
{
    const hops_t *hops = context;
    bool          good = true;
    for (uint32_t i = 0; good && i < hops->count; i++) {
        const hop_t *hop = &hops->hop[i];
        good             = !hop->joins || hop->side[side].peer->join(hop->peer_mem, side);
    }
    return good;
}

err_t hops_open(hops_t *hops, const bench_t *bench, bool messages)
{
    *hops     = (hops_t){0};
    err_t err = add_ours(hops, messages);
    err       = err ? err : add_peers(hops, bench, !messages);
    return err ? err : pair_open(&hops->pair, bench, start, hops);
}

void hops_close(hops_t *hops)
{
    pair_close(&hops->pair);
}

err_t hops_wrong(const hops_t *hops)
{
    for (uint32_t i = 0; i < hops->count; i++) {
        const hop_t   *hop   = &hops->hop[i];
        const uint64_t wrong = hop->side[0].wrong + hop->side[1].wrong;
        if (wrong != 0) {
            return err_set(ERR_STATE, "%s, %u bytes: %llu messages arrived that were not sent", hop->name, hop->bytes,
                           (unsigned long long)wrong);
        }
    }
    return ERR_OK;
}

pid_t hops_daemon_start(void)
{
    int out[2];
    if (pipe2(out, O_CLOEXEC) != 0) {
        return 0;
    }
    const pid_t daemon = fork();
    if (daemon == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        execlp("iox-roudi", "iox-roudi", "-m", "off", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    char          text[4096];
    size_t        len   = 0;
    bool          ready = false;
    struct pollfd said  = {.fd = out[0], .events = POLLIN};
    while (!ready && len < sizeof text - 1 && poll(&said, 1, 5000) == 1) {
        const ssize_t got = read(out[0], text + len, sizeof text - 1 - len);
        if (got <= 0) {
            break;
        }
        text[len += (size_t)got] = '\0';
        ready                    = strstr(text, "ready for clients") != NULL;
    }
    if (!ready) {
        hops_daemon_stop(daemon);
        close(out[0]);
        return 0;
    }
    return daemon; /* the pipe stays open as long as this process: the daemon may still say something */
}

void hops_daemon_stop(pid_t daemon)
{
    if (daemon > 0) {
        kill(daemon, SIGTERM);
        waitpid(daemon, NULL, 0);
    }
}
