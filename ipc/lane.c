#include "ipc/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ipc/message.h"
#include "ipc/segment.h"
#include "ipc/words_copy.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3; an older kernel says EINVAL */
#define MFD_NOEXEC_SEAL 0x0008u
#endif

#define SEALS_SIZE (F_SEAL_SHRINK | F_SEAL_GROW)
#define SEALS_CMD (SEALS_SIZE | F_SEAL_SEAL)
#define SEALS_SERVED (F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)
#define SEALS_RSP (SEALS_SIZE | SEALS_SERVED)
#define LOOK_NS (100 * 1000000LL) /* a client that sleeps looks so often whether the engine lives */
#define AGAIN_NS 20000000L        /* between two tries for a lease */
#define SPINS 64u                 /* looks between two looks at the clock */

/* ---- both files ---------------------------------------------------------------------------------------------------- */
typedef struct file_kind {
    const char *name; /* of the file, and in sentences */
    uint64_t    magic;
} file_kind_t;

static const file_kind_t cmd_kind = {"lane cmd", LANE_MAGIC_CMD};
static const file_kind_t rsp_kind = {"lane rsp", LANE_MAGIC_RSP};

static size_t file_bytes(uint32_t slots)
{
    return sizeof(lane_cmd_t) + ring_lossless_footprint(slots, LANE_STRIDE);
}

static bool slots_ok(uint32_t slots)
{
    return slots >= LANE_SLOTS_MIN && slots <= LANE_SLOTS_MAX && (slots & (slots - 1)) == 0;
}

static void *ring_of(void *file)
{
    return (uint8_t *)file + sizeof(lane_cmd_t);
}

static err_t file_create(const file_kind_t *kind, size_t bytes, int *fd)
{
    *fd = memfd_create(kind->name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (*fd < 0 && errno == EINVAL) {
        *fd = memfd_create(kind->name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    if (*fd < 0) {
        return err_set(errno == EMFILE || errno == ENFILE || errno == ENOMEM ? ERR_LIMIT : ERR_IO,
                       "%s: cannot be made: %s", kind->name, strerror(errno));
    }
    const int rc = posix_fallocate(*fd, 0, (off_t)bytes);
    return rc == 0 ? ERR_OK
                   : err_set(rc == ENOSPC || rc == ENOMEM ? ERR_LIMIT : ERR_IO, "%s: no memory for %zu bytes: %s",
                             kind->name, bytes, strerror(rc));
}

static err_t file_make(const file_kind_t *kind, uint32_t slots, int seals, int *fd)
{
    const size_t bytes = file_bytes(slots);
    const err_t  err   = file_create(kind, bytes, fd);
    if (err) {
        return err;
    }
    void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (mem == MAP_FAILED) {
        return err_set(ERR_LIMIT, "%s: %zu bytes cannot be mapped: %s", kind->name, bytes, strerror(errno));
    }
    lane_head_t *head = mem;
    head->layout_hash = segment_layout_hash();
    head->slots       = slots;
    head->stride      = LANE_STRIDE;
    ring_lossless_new(ring_of(mem), slots, LANE_STRIDE);
    __atomic_store_n(&head->magic, kind->magic, __ATOMIC_RELEASE);
    munmap(mem, bytes);
    return fcntl(*fd, F_ADD_SEALS, seals) == 0
               ? ERR_OK
               : err_set(ERR_IO, "%s: cannot be sealed: %s", kind->name, strerror(errno));
}

static void fd_drop(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

err_t lane_make(uint32_t slots, int *cmd_fd, int *rsp_fd)
{
    *cmd_fd = *rsp_fd = -1;
    if (!slots_ok(slots)) {
        return err_set(ERR_ARG, "lane: slots %u, must be a power of two in %u..%u", slots, LANE_SLOTS_MIN,
                       LANE_SLOTS_MAX);
    }
    err_t err = file_make(&cmd_kind, slots, SEALS_CMD, cmd_fd);
    err       = err ? err : file_make(&rsp_kind, slots, SEALS_SIZE, rsp_fd);
    if (err) {
        fd_drop(cmd_fd);
        fd_drop(rsp_fd);
    }
    return err;
}

bool lane_sealed(int rsp_fd)
{
    const int seals = fcntl(rsp_fd, F_GET_SEALS);
    return seals >= 0 && (seals & SEALS_SERVED) == SEALS_SERVED;
}

/* Does the head say what the file is? *slots is read once. */
static err_t head_check(const file_kind_t *kind, const lane_head_t *head, size_t bytes, uint32_t *slots)
{
    /* acquire: pairs with the release in file_make; the rest is there when the magic is */
    const uint64_t magic  = __atomic_load_n(&head->magic, __ATOMIC_ACQUIRE);
    const uint64_t layout = __atomic_load_n(&head->layout_hash, __ATOMIC_RELAXED);
    const uint32_t stride = __atomic_load_n(&head->stride, __ATOMIC_RELAXED);
    *slots                = __atomic_load_n(&head->slots, __ATOMIC_RELAXED);
    if (magic != kind->magic) {
        return err_set(ERR_PARSE, "%s: magic %016llx, must be %016llx", kind->name, (unsigned long long)magic,
                       (unsigned long long)kind->magic);
    }
    if (layout != segment_layout_hash()) {
        return err_set(ERR_UNSUPPORTED, "%s: layout %016llx, this build reads %016llx", kind->name,
                       (unsigned long long)layout, (unsigned long long)segment_layout_hash());
    }
    if (stride != LANE_STRIDE || !slots_ok(*slots) || file_bytes(*slots) != bytes) {
        return err_set(ERR_PARSE, "%s: %u slots of stride %u in %zu bytes", kind->name, *slots, stride, bytes);
    }
    return ERR_OK;
}

typedef struct mapping { /* of one of the files */
    void    *mem;        /* NULL = none */
    size_t   bytes;
    uint32_t slots;
} mapping_t;

/* A file that has the seals that it must have, and not those that it must not have yet. */
static err_t file_map(const file_kind_t *kind, int fd, int seals, int not_yet, int prot, mapping_t *out)
{
    struct stat st;
    mapping_t   m   = {0};
    const int   now = fcntl(fd, F_GET_SEALS);
    if (now < 0 || (now & seals) != seals || (now & not_yet) != 0) {
        return err_set(ERR_STATE, "%s: its seals are %#x, must have %#x and must not have %#x", kind->name,
                       (unsigned)(now < 0 ? 0 : now), (unsigned)seals, (unsigned)not_yet);
    }
    if (fstat(fd, &st) != 0 || st.st_size < (off_t)file_bytes(LANE_SLOTS_MIN) ||
        st.st_size > (off_t)file_bytes(LANE_SLOTS_MAX)) {
        return err_set(ERR_PARSE, "%s: %lld bytes are no lane's", kind->name, (long long)st.st_size);
    }
    m.bytes = (size_t)st.st_size;
    m.mem   = mmap(NULL, m.bytes, prot, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (m.mem == MAP_FAILED) {
        return err_set(ERR_LIMIT, "%s: %zu bytes cannot be mapped: %s", kind->name, m.bytes, strerror(errno));
    }
    const err_t err = head_check(kind, m.mem, m.bytes, &m.slots);
    if (err) {
        munmap(m.mem, m.bytes);
        return err;
    }
    *out = m;
    return ERR_OK;
}

static void file_unmap(const void *mem, size_t bytes)
{
    if (mem) {
        munmap((void *)(uintptr_t)mem, bytes);
    }
}

/* Reader of the one ring, writer of the other. own: our cursor, in the file that we write; theirs: in the one we read. */
static err_t rings_join(const mapping_t *in, const mapping_t *out, lossless_reader_t *from, ring_cursor_t *own,
                        lossless_writer_t *to, const ring_cursor_t *theirs)
{
    const size_t head = sizeof(lane_cmd_t);
    if (in->slots != out->slots) {
        return err_set(ERR_PARSE, "lane: one file has %u slots, the other %u", in->slots, out->slots);
    }
    err_t err = lossless_reader_join(from, ring_of(in->mem), in->bytes - head, own, 0);
    err       = err ? err : lossless_writer_join(to, ring_of(out->mem), out->bytes - head);
    if (err) {
        return err;
    }
    if (from->stride != LANE_STRIDE || from->mask + 1 != in->slots || to->stride != LANE_STRIDE ||
        to->mask + 1 != in->slots) {
        return err_set(ERR_PARSE, "lane: its rings are not of %u slots of stride %u", in->slots, LANE_STRIDE);
    }
    lossless_writer_cursor(to, theirs);
    return ERR_OK;
}

/* Wake who sleeps, if somebody does. Called when what is to be seen is out. */
static void bell_ring(lane_bell_t *bell, const _Atomic uint32_t *asleep)
{
    words_fence_full(); /* pairs with that of the sleeper: my message before my look, its flag before its look */
    if (atomic_load_explicit(asleep, memory_order_relaxed) == 0) {
        return;
    }
    atomic_fetch_add_explicit(&bell->word, 1, memory_order_release);
    syscall(SYS_futex, &bell->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ---- the engine's side --------------------------------------------------------------------------------------------- */
static void server_drop(lane_server_t *server)
{
    file_unmap(server->cmd, server->cmd_bytes);
    file_unmap(server->rsp, server->rsp_bytes);
    close(server->link_fd);
    *server = (lane_server_t){.link_fd = -1};
}

err_t lane_serve(lane_server_t *server, int cmd_fd, int rsp_fd, int link_fd)
{
    mapping_t cmd = {0}, rsp = {0};
    err_t     err = file_map(&cmd_kind, cmd_fd, SEALS_CMD, 0, PROT_READ, &cmd);
    err           = err ? err : file_map(&rsp_kind, rsp_fd, SEALS_SIZE, SEALS_SERVED, PROT_READ | PROT_WRITE, &rsp);
    *server       = (lane_server_t){
              .cmd = cmd.mem, .rsp = rsp.mem, .cmd_bytes = cmd.bytes, .rsp_bytes = rsp.bytes, .link_fd = link_fd};
    err = err ? err : rings_join(&cmd, &rsp, &server->from, &server->rsp->taken, &server->to, &server->cmd->taken);
    if (!err && fcntl(rsp_fd, F_ADD_SEALS, SEALS_SERVED) != 0) { /* the last step: the maker waits for it */
        err = err_set(ERR_IO, "lane rsp: cannot be sealed: %s", strerror(errno));
    }
    close(cmd_fd);
    close(rsp_fd);
    if (err) {
        server_drop(server);
    }
    return err;
}

/* The lane as it stands, as a message; ERR_FULL at the end of a lane is nobody's concern any more. */
static void lane_say(lane_server_t *server)
{
    _Alignas(8) uint8_t buf[LANE_STRIDE - RING_SLOT_HEAD];
    const msg_t         msg = {.type = MSG_LANE, .body = &server->lane};
    size_t              len;
    const err_t         err = message_write(&msg, buf, sizeof buf, &len);
    assert(err == ERR_OK);
    (void)err;
    lane_answer(server, &(ring_meta_t){.len = (uint32_t)len, .type = MSG_LANE, .tenant = server->lane.tenant_id}, buf);
}

void lane_open(lane_server_t *server, const lane_t *lane)
{
    lane_rsp_t *rsp     = server->rsp;
    server->lane        = *lane;
    server->lane.state  = LANE_OPEN;
    server->lane.reason = LANE_REASON_NONE;
    server->rsp->lane   = server->lane;
    lane_say(server);
    atomic_store_explicit(&rsp->state, LANE_OPEN, memory_order_release); /* the client's acquire of it pairs */
    lane_bell(server);
}

void lane_close(lane_server_t *server, lane_reason_t reason)
{
    lane_rsp_t *rsp     = server->rsp;
    server->lane.state  = LANE_CLOSED;
    server->lane.reason = (uint8_t)reason;
    __atomic_store_n(&rsp->lane.reason, server->lane.reason, __ATOMIC_RELAXED);
    __atomic_store_n(&rsp->lane.state, server->lane.state, __ATOMIC_RELAXED);
    lane_say(server);
    /* release: after the last message, so that who reads CLOSED and then finds nothing has read everything */
    atomic_store_explicit(&rsp->state, LANE_CLOSED, memory_order_release);
    server->unrung = 1;
    lane_bell(server);
    server_drop(server);
}

/* Nothing is there: a slot that waits for message n holds the word of the lap before, 0 in the first one. */
static err_t empty_or_damaged(const lossless_reader_t *from)
{
    const ring_slot_t *slot =
        (const ring_slot_t *)(const void *)(from->slots + ((from->next - 1) & from->mask) * from->stride);
    const uint64_t want = from->next, slots = from->mask + 1;
    const uint64_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
    return seq == want /* it came just now */ || seq == (want > slots ? want - slots : 0)
               ? ERR_EMPTY
               : err_set(ERR_PARSE, "lane cmd: the slot of message %llu holds %llu", (unsigned long long)want,
                         (unsigned long long)seq);
}

err_t lane_take(lane_server_t *server, void *dst, size_t cap, ring_meta_t *meta)
{
    const void *payload;
    const err_t err = lossless_peek(&server->from, meta, &payload);
    if (err == ERR_EMPTY) {
        return empty_or_damaged(&server->from);
    }
    if (err) {
        return err_set(ERR_PARSE, "lane cmd: message %llu is none: its slot holds another, or is too short for it",
                       (unsigned long long)server->from.next);
    }
    atomic_signal_fence(memory_order_seq_cst); /* *meta is the copy from here on: the slot is not asked again */
    if (meta->len > cap || meta->len > server->from.stride - RING_SLOT_HEAD) {
        return err_set(ERR_PARSE, "lane cmd: message %llu has %u bytes, none has more than %zu",
                       (unsigned long long)server->from.next, meta->len, cap);
    }
    memcpy(dst, payload, meta->len);
    lossless_take(&server->from);
    return ERR_OK;
}

err_t lane_answer(lane_server_t *server, const ring_meta_t *meta, const void *payload)
{
    const err_t err = lossless_put(&server->to, meta, payload);
    server->unrung += err == ERR_OK;
    return err;
}

void lane_bell(lane_server_t *server)
{
    if (server->unrung) {
        server->unrung = 0;
        bell_ring(&server->rsp->bell, &server->cmd->asleep);
    }
}

lane_reason_t lane_look(lane_server_t *server)
{
    uint32_t slots;
    char     byte;
    if (atomic_load_explicit(&server->cmd->goodbye, memory_order_relaxed) != 0) {
        return LANE_REASON_RELEASED;
    }
    if (head_check(&cmd_kind, &server->cmd->head, server->cmd_bytes, &slots) != ERR_OK) {
        return LANE_REASON_DAMAGED;
    }
    const ssize_t n = recv(server->link_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0) { /* nobody has anything to say there, and words that lie in it would hide its end */
        return LANE_REASON_MISUSED;
    }
    return n == 0 || (errno != EAGAIN && errno != EINTR) ? LANE_REASON_DEAD : LANE_REASON_NONE;
}

/* ---- the client's side: the lease ------------------------------------------------------------------------------------ */
static int64_t mono_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What the next call on the connection may take; false: the time is up. */
static bool time_left(int fd, int64_t until_ns)
{
    const int64_t        left_us = (until_ns - mono_ns()) / 1000;
    const struct timeval tv      = {.tv_sec = left_us / 1000000, .tv_usec = left_us % 1000000};
    if (left_us <= 0) { /* 0 would be for ever */
        errno = EAGAIN;
        return false;
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    return true;
}

static err_t door_connect(int fd, int dir_fd, int64_t until_ns)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX}; /* by descriptor: the path may be longer than a socket's name */
    snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/%s", dir_fd, LANE_SOCKET);
    while (time_left(fd, until_ns)) {
        if (connect(fd, (const struct sockaddr *)&at, sizeof at) == 0) {
            return ERR_OK;
        }
        if (errno != EINTR) {
            break;
        }
    }
    switch (errno) {
    case EAGAIN: return err_set(ERR_AGAIN, "%s: the supervisor takes no connection in time", LANE_SOCKET);
    case ENOENT: return err_set(ERR_NOT_FOUND, "%s: is not there: no instance, or one without lanes", LANE_SOCKET);
    case ECONNREFUSED: return err_set(ERR_STATE, "%s: nobody listens: no supervisor runs", LANE_SOCKET);
    case EACCES:
    case EPERM: return err_set(ERR_STATE, "%s: not yours: %s", LANE_SOCKET, strerror(errno));
    default: return err_set(ERR_IO, "%s: %s", LANE_SOCKET, strerror(errno));
    }
}

/* One packet with up to two descriptors; fds[i] is -1 where none came. Returns its length, -1 and errno, 0 = the end. */
static ssize_t welcome_receive(int fd, lane_welcome_t *welcome, int64_t until_ns, int fds[2])
{
    union {
        struct cmsghdr align;
        char           bytes[CMSG_SPACE(2 * sizeof(int))];
    } control            = {0};
    struct iovec  part   = {.iov_base = welcome, .iov_len = sizeof *welcome};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t       n      = -1;
    fds[0] = fds[1] = -1;
    errno           = EINTR;
    while (n < 0 && (errno == EINTR || errno == ECONNRESET) && time_left(fd, until_ns)) {
        /* ECONNRESET: it hung up before it read all of ours; what it said is behind that */
        header.msg_control    = control.bytes;
        header.msg_controllen = sizeof control.bytes;
        n                     = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
    }
    const struct cmsghdr *rights = n < 0 ? NULL : CMSG_FIRSTHDR(&header);
    if (rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS) {
        const size_t bytes = rights->cmsg_len - CMSG_LEN(0);
        memcpy(fds, CMSG_DATA(rights), bytes < 2 * sizeof(int) ? bytes : 2 * sizeof(int));
    }
    return n;
}

static err_t welcome_read(ssize_t n, lane_welcome_t *welcome, const int fds[2], const char *name)
{
    if (n < 0) {
        return errno == EAGAIN
                   ? err_set(ERR_AGAIN, "client %s: no answer of the supervisor in time", name)
                   : err_set(ERR_STATE, "client %s: the supervisor gave no answer: %s", name, strerror(errno));
    }
    if (n == 0) {
        return err_set(ERR_STATE, "client %s: the supervisor ended before it answered", name);
    }
    if (n != sizeof *welcome || welcome->magic != LANE_WELCOME_MAGIC) {
        return err_set(ERR_PARSE, "client %s: the answer of the supervisor is none", name);
    }
    if (welcome->err != ERR_OK) {
        welcome->text[sizeof welcome->text - 1] = '\0';
        return err_set(welcome->err < ERR_COUNT ? (err_t)welcome->err : ERR_STATE, "%s", welcome->text);
    }
    return fds[1] >= 0 ? ERR_OK : err_set(ERR_PARSE, "client %s: the supervisor sent no lane", name);
}

static err_t lease_ask(int fd, int dir_fd, const char *name, int64_t until_ns, int fds[2])
{
    lane_hello_t   hello = {.magic = LANE_HELLO_MAGIC, .layout_hash = segment_layout_hash()};
    lane_welcome_t welcome;
    snprintf(hello.name, sizeof hello.name, "%s", name);
    const err_t err = door_connect(fd, dir_fd, until_ns);
    if (err) {
        return err;
    }
    if (send(fd, &hello, sizeof hello, MSG_NOSIGNAL) != sizeof hello && errno != EPIPE) {
        return err_set(errno == EAGAIN ? ERR_AGAIN : ERR_IO, "client %s: %s", name, strerror(errno));
    } /* EPIPE: refused already, and the reason is there to be read */
    return welcome_read(welcome_receive(fd, &welcome, until_ns, fds), &welcome, fds, name);
}

static err_t lease_try(lane_client_t *client, int dir_fd, const char *name, int64_t until_ns)
{
    int       fds[2] = {-1, -1};
    const int fd     = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_set(ERR_IO, "client %s: no socket: %s", name, strerror(errno));
    }
    const err_t err = lease_ask(fd, dir_fd, name, until_ns, fds);
    if (err) {
        fd_drop(&fds[0]);
        fd_drop(&fds[1]);
        close(fd);
        return err;
    }
    return lane_join(client, fds[0], fds[1], fd);
}

err_t lane_lease(lane_client_t *client, int dir_fd, const char *name, int64_t wait_ns)
{
    const int64_t until_ns = mono_ns() + wait_ns;
    *client                = (lane_client_t){.link_fd = -1};
    if (strnlen(name, LANE_NAME_MAX + 1) > LANE_NAME_MAX) {
        return err_set(ERR_NOT_FOUND, "client %.40s...: no name has more than %u bytes", name, LANE_NAME_MAX);
    }
    err_t err = lease_try(client, dir_fd, name, until_ns);
    while (err == ERR_FULL && mono_ns() + AGAIN_NS < until_ns) { /* too soon after the last one */
        nanosleep(&(struct timespec){.tv_nsec = AGAIN_NS}, NULL);
        err = lease_try(client, dir_fd, name, until_ns);
    }
    return err;
}

/* ---- the client's side ------------------------------------------------------------------------------------------------ */
static void client_drop(lane_client_t *client)
{
    file_unmap(client->cmd, client->cmd_bytes);
    file_unmap(client->rsp, client->rsp_bytes);
    close(client->link_fd);
    *client = (lane_client_t){.link_fd = -1};
}

err_t lane_join(lane_client_t *client, int cmd_fd, int rsp_fd, int link_fd)
{
    mapping_t cmd = {0}, rsp = {0};
    err_t     err = file_map(&cmd_kind, cmd_fd, SEALS_CMD, 0, PROT_READ | PROT_WRITE, &cmd);
    err           = err ? err : file_map(&rsp_kind, rsp_fd, SEALS_RSP, 0, PROT_READ, &rsp);
    *client       = (lane_client_t){
              .cmd = cmd.mem, .rsp = rsp.mem, .cmd_bytes = cmd.bytes, .rsp_bytes = rsp.bytes, .link_fd = link_fd};
    err = err ? err : rings_join(&rsp, &cmd, &client->from, &client->cmd->taken, &client->to, &client->rsp->taken);
    close(cmd_fd);
    close(rsp_fd);
    if (err) {
        client_drop(client);
    }
    return err;
}

void lane_leave(lane_client_t *client)
{
    atomic_store_explicit(&client->cmd->goodbye, 1, memory_order_relaxed);
    bell_ring(&client->cmd->bell, &client->rsp->asleep);
    client_drop(client);
}

static bool is_closed(const lane_client_t *client)
{
    /* acquire: pairs with the release in lane_close: reason and last message are there */
    return atomic_load_explicit(&client->rsp->state, memory_order_acquire) == LANE_CLOSED;
}

static lane_reason_t reason_of(const lane_client_t *client)
{
    const uint8_t reason = __atomic_load_n(&client->rsp->lane.reason, __ATOMIC_RELAXED);
    return reason < LANE_REASON_COUNT ? (lane_reason_t)reason : LANE_REASON_DAMAGED;
}

static err_t closed(const lane_client_t *client)
{
    return err_set(ERR_STATE, "lane: closed: %s", lane_reason_str(reason_of(client)));
}

err_t lane_send(lane_client_t *client, const ring_meta_t *meta, const void *payload)
{
    if (is_closed(client)) {
        return closed(client);
    }
    const err_t err = lossless_put(&client->to, meta, payload);
    if (err == ERR_OK) {
        bell_ring(&client->cmd->bell, &client->rsp->asleep);
    }
    return err;
}

/* What lane_next would find: ERR_OK, ERR_EMPTY, ERR_STATE, ERR_PARSE. The state is looked at first: what was said before
 * the end is found after it. */
static err_t look(const lane_client_t *client, ring_meta_t *meta, const void **payload)
{
    const bool  ended = is_closed(client);
    const err_t err   = lossless_peek_at(&client->from, client->held, meta, payload);
    return err == ERR_EMPTY && ended ? ERR_STATE : err;
}

err_t lane_next(lane_client_t *client, ring_meta_t *meta, const void **payload)
{
    lossless_take_n(&client->from, client->held);
    client->held    = 0;
    const err_t err = look(client, meta, payload);
    if (err == ERR_OK) {
        client->held = 1;
    } else if (err == ERR_STATE) {
        closed(client);
    } else if (err == ERR_PARSE) {
        err_set(ERR_PARSE, "lane rsp: answer %llu is none", (unsigned long long)client->from.next);
    }
    return err;
}

lane_reason_t lane_ended(const lane_client_t *client)
{
    char byte;
    if (is_closed(client)) {
        return reason_of(client);
    }
    const ssize_t n = recv(client->link_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return LANE_REASON_NONE;
    }
    return is_closed(client) ? reason_of(client) : LANE_REASON_DEAD; /* it says so before it hangs up */
}

static err_t wait_end(const lane_client_t *client, err_t err)
{
    return err != ERR_STATE ? ERR_OK /* also damage: lane_next has the sentence */ : closed(client);
}

/* One sleep, if there is nothing to see: until the bell, LOOK_NS or left_ns. */
static err_t sleep_once(lane_client_t *client, int64_t left_ns)
{
    ring_meta_t meta;
    const void *payload;
    /* acquire: pairs with the release in bell_ring: what that bell was for is seen in the look that follows */
    const uint32_t word = atomic_load_explicit(&client->rsp->bell.word, memory_order_acquire);
    atomic_store_explicit(&client->cmd->asleep, 1, memory_order_relaxed);
    words_fence_full();
    err_t err = look(client, &meta, &payload);
    if (err == ERR_EMPTY && lane_ended(client) == LANE_REASON_DEAD) {
        err = look(client, &meta, &payload); /* what it still said between those two */
        err = err == ERR_EMPTY ? err_set(ERR_STATE, "lane: the engine is gone") : wait_end(client, err);
    } else if (err == ERR_EMPTY) {
        const struct timespec t = {.tv_nsec = left_ns < LOOK_NS ? left_ns : LOOK_NS};
        syscall(SYS_futex, &client->rsp->bell.word, FUTEX_WAIT, word, &t, NULL, 0);
    } else {
        err = wait_end(client, err);
    }
    atomic_store_explicit(&client->cmd->asleep, 0, memory_order_relaxed);
    return err;
}

err_t lane_wait(lane_client_t *client, int64_t spin_ns, int64_t timeout_ns)
{
    const int64_t began = mono_ns(), end = timeout_ns < INT64_MAX - began ? began + timeout_ns : INT64_MAX;
    const int64_t spun = spin_ns < end - began ? began + spin_ns : end;
    ring_meta_t   meta;
    const void   *payload;
    for (uint32_t i = 1;; i++) {
        const err_t err = look(client, &meta, &payload);
        if (err != ERR_EMPTY) {
            return wait_end(client, err);
        }
        if (i % SPINS == 0 || spin_ns <= 0) {
            const int64_t now = mono_ns();
            if (now >= end) {
                return ERR_AGAIN;
            }
            if (now >= spun) {
                break;
            }
        }
        __builtin_ia32_pause();
    }
    for (int64_t now = mono_ns(); now < end; now = mono_ns()) {
        const err_t err = sleep_once(client, end - now);
        if (err != ERR_EMPTY) {
            return err;
        }
    }
    const err_t err = look(client, &meta, &payload);
    return err == ERR_EMPTY ? ERR_AGAIN : wait_end(client, err);
}
