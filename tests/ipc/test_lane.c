/* Invariants of a lane:
 *   - a message sent is taken once, whole, in order, and so is an answer; full is an answer; neither side sleeps through
 *     what it waits for
 *   - a client that is killed anywhere leaves whole messages or none, and its end shows
 *   - nobody but the engine can write the rsp file once it is served, and neither file can change its size
 *   - whatever a client does to the cmd file, the engine gets messages within bounds, EMPTY or "close it", never a crash,
 *     and other lanes go on
 *   - at the close everything that was said is read, then the reason
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pthread.h>

#include <cmocka.h>

#include "ipc/lane.h"
#include "ipc/message.h"
#include "ipc/segment.h"
#include "ipc/words_copy.h"
#include "tests/lib/seeded.h"

enum { SLOTS = 16, ROOM = LANE_STRIDE - RING_SLOT_HEAD };

static const lane_t identity = {.lease = 7, .lane_id = 3, .tenant_id = 1, .strategy_id = 9, .epoch = 2, .first_seq = 1};

typedef struct ends { /* of one lane, before anybody has joined */
    int cmd, rsp, server_link, client_link;
} ends_t;

static ends_t ends_make(uint32_t slots)
{
    ends_t e;
    int    link[2];
    MUST(lane_make(slots, &e.cmd, &e.rsp) == ERR_OK);
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) == 0);
    e.server_link = link[0];
    e.client_link = link[1];
    return e;
}

/* The server has its own copies; the client's descriptors stay in e. */
static void serve(lane_server_t *server, ends_t *e)
{
    MUST(lane_serve(server, dup(e->cmd), dup(e->rsp), e->server_link) == ERR_OK);
    e->server_link = -1;
}

static void open_both(lane_server_t *server, lane_client_t *client, uint32_t slots)
{
    ends_t e = ends_make(slots);
    serve(server, &e);
    MUST(lane_sealed(e.rsp));
    MUST(lane_join(client, e.cmd, e.rsp, e.client_link) == ERR_OK);
    lane_open(server, &identity);
}

static void send_n(lane_client_t *client, uint64_t n, err_t want)
{
    _Alignas(8) uint8_t buf[ROOM];
    const uint32_t      len = seeded_len(n, ROOM);
    seeded_fill(buf, n, len);
    const err_t err = lane_send(client, &(ring_meta_t){.len = len, .type = 5, .topic = (uint32_t)n}, buf);
    MUST(err == want);
}

static bool request_waits(const lane_server_t *server)
{
    ring_meta_t meta;
    const void *payload;
    return lossless_peek(&server->from, &meta, &payload) != ERR_EMPTY;
}

static err_t take_n(lane_server_t *server, uint64_t n)
{
    _Alignas(8) uint8_t buf[ROOM];
    ring_meta_t         meta;
    const err_t         err = lane_take(server, buf, sizeof buf, &meta);
    MUST(err != ERR_OK ||
         (meta.len == seeded_len(n, ROOM) && meta.topic == (uint32_t)n && seeded_whole(buf, n, meta.len)));
    return err;
}

static err_t answer_n(lane_server_t *server, uint64_t n)
{
    _Alignas(8) uint8_t buf[ROOM];
    const uint32_t      len = seeded_len(n, ROOM);
    seeded_fill(buf, n, len);
    return lane_answer(server, &(ring_meta_t){.len = len, .type = 6, .topic = (uint32_t)n}, buf);
}

static void next_n(lane_client_t *client, uint64_t n)
{
    ring_meta_t meta;
    const void *payload;
    MUST(lane_next(client, &meta, &payload) == ERR_OK);
    MUST(meta.len == seeded_len(n, ROOM) && meta.topic == (uint32_t)n && seeded_whole(payload, n, meta.len));
}

static lane_t next_lane(lane_client_t *client)
{
    ring_meta_t meta;
    const void *payload;
    msg_t       msg;
    MUST(lane_next(client, &meta, &payload) == ERR_OK);
    MUST(meta.type == MSG_LANE && message_read(MSG_LANE, payload, meta.len, &msg) == ERR_OK);
    return *(const lane_t *)msg.body;
}

static err_t next_err(lane_client_t *client)
{
    ring_meta_t meta;
    const void *payload;
    return lane_next(client, &meta, &payload);
}

static void nap(int64_t ns)
{
    clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = ns}, NULL);
}

/* What the other side does between the look of a waiting client and its look at the connection (recv, in lane_ended). */
static void (*between)(lane_server_t *server);
static lane_server_t *between_server;

ssize_t recv(int fd, void *buf, size_t n,
             int flags) /* of the C library: the library under test is linked to this one */
{
    void (*act)(lane_server_t *) = between;
    between                      = NULL;
    if (act) {
        act(between_server);
    }
    return recvfrom(fd, buf, n, flags, NULL, NULL);
}

static void answer_and_die(lane_server_t *server)
{
    MUST(answer_n(server, 1) == ERR_OK);
    close(server->link_fd);
    server->link_fd = -1;
}

/* ---- the life of a lane ---------------------------------------------------------------------------------------------- */
static void test_lane_makes_and_refuses_by_name(void **state)
{
    (void)state;
    static const uint32_t bad[] = {0, 8, 17, LANE_SLOTS_MAX * 2, UINT32_MAX};
    int                   cmd, rsp;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(lane_make(bad[i], &cmd, &rsp), ERR_ARG);
        assert_non_null(strstr(err_msg(), "power of two in 16..65536"));
        assert_int_equal(cmd, -1);
    }
    ends_t        e = ends_make(LANE_SLOTS_MIN);
    lane_client_t client;
    lane_server_t server;
    struct stat   st;
    assert_false(lane_sealed(e.rsp));
    assert_int_equal(fstat(e.cmd, &st), 0);
    assert_true(st.st_blocks * 512 >= st.st_size);                                               /* real memory */
    assert_int_equal(lane_join(&client, dup(e.cmd), dup(e.rsp), dup(e.client_link)), ERR_STATE); /* not served */
    assert_int_equal(client.link_fd, -1);
    assert_int_equal(lane_serve(&server, dup(e.rsp), dup(e.cmd), dup(e.server_link)), ERR_STATE); /* exchanged */
    char gone; /* descriptors are taken over, also on failure: the other end sees its end */
    int  link[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link), 0);
    assert_int_equal(lane_serve(&server, dup(e.rsp), dup(e.cmd), link[0]), ERR_STATE);
    assert_int_equal(recv(link[1], &gone, 1, MSG_DONTWAIT), 0);
    close(link[1]);
    const int plain = memfd_create("plain", MFD_CLOEXEC);
    assert_int_equal(lane_serve(&server, plain, dup(e.rsp), dup(e.server_link)), ERR_STATE);
    assert_null(server.cmd);
    assert_false(lane_sealed(e.rsp));
    serve(&server, &e);
    assert_true(lane_sealed(e.rsp));
    lane_server_t second;
    assert_int_equal(lane_serve(&second, dup(e.cmd), dup(e.rsp), dup(e.client_link)), ERR_STATE); /* served already */
    assert_int_equal(lane_join(&client, dup(e.cmd), dup(e.cmd), dup(e.client_link)), ERR_STATE);
    assert_int_equal(lane_join(&client, e.cmd, e.rsp, e.client_link), ERR_OK);
    lane_leave(&client);
    lane_close(&server, LANE_REASON_RELEASED);
}

static void test_lane_another_layout_is_refused(void **state)
{
    (void)state;
    ends_t        e   = ends_make(SLOTS);
    lane_cmd_t   *cmd = mmap(NULL, sizeof *cmd, PROT_READ | PROT_WRITE, MAP_SHARED, e.cmd, 0);
    lane_server_t server;
    cmd->head.layout_hash ^= 1;
    assert_int_equal(lane_serve(&server, dup(e.cmd), dup(e.rsp), dup(e.server_link)), ERR_UNSUPPORTED);
    cmd->head.layout_hash ^= 1;
    cmd->head.slots *= 2;
    assert_int_equal(lane_serve(&server, dup(e.cmd), dup(e.rsp), dup(e.server_link)), ERR_PARSE);
    cmd->head.slots /= 2;
    lane_rsp_t *rsp = mmap(NULL, sizeof *rsp, PROT_READ | PROT_WRITE, MAP_SHARED, e.rsp, 0);
    cmd->head.slots = rsp->head.slots = SLOTS / 2 + SLOTS; /* no power of two */
    assert_int_equal(lane_serve(&server, dup(e.cmd), dup(e.rsp), dup(e.server_link)), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "24 slots of stride 256 in "));
    cmd->head.slots = rsp->head.slots = SLOTS * 4; /* more than lie in the file */
    assert_int_equal(lane_serve(&server, dup(e.cmd), dup(e.rsp), dup(e.server_link)), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "64 slots of stride 256 in "));
    cmd->head.slots = rsp->head.slots = SLOTS;
    ring_head_t *ring                 = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, e.cmd, 0);
    ring                              = (ring_head_t *)((uint8_t *)ring + sizeof *cmd);
    ring->stride /= 2; /* a ring that would lie in its room, but is not the lane's */
    assert_int_equal(lane_serve(&server, dup(e.cmd), dup(e.rsp), dup(e.server_link)), ERR_PARSE);
    ring->stride *= 2;
    assert_int_equal(lane_serve(&server, e.cmd, e.rsp, e.server_link), ERR_OK);
    lane_close(&server, LANE_REASON_STOP);
    close(e.client_link);
}

static void test_lane_says_who_it_is_and_why_it_ends(void **state)
{
    (void)state;
    lane_server_t server;
    lane_client_t client;
    open_both(&server, &client, SLOTS);
    lane_t told = next_lane(&client);
    assert_int_equal(told.state, LANE_OPEN);
    assert_int_equal(told.strategy_id, 9);
    assert_true(told.lease == 7 && told.first_seq == 1);
    assert_int_equal(next_err(&client), ERR_EMPTY);
    assert_int_equal(lane_ended(&client), LANE_REASON_NONE);
    assert_int_equal(lane_look(&server), LANE_REASON_NONE);
    send_n(&client, 1, ERR_OK);
    assert_true(request_waits(&server));
    assert_int_equal(take_n(&server, 1), ERR_OK);
    assert_false(request_waits(&server));
    assert_int_equal(take_n(&server, 2), ERR_EMPTY);
    assert_int_equal(answer_n(&server, 1), ERR_OK);
    lane_close(&server, LANE_REASON_STOP);
    assert_null(server.cmd);
    next_n(&client, 1); /* all that was said is read, then the end */
    told = next_lane(&client);
    assert_int_equal(told.state, LANE_CLOSED);
    assert_int_equal(told.reason, LANE_REASON_STOP);
    assert_int_equal(next_err(&client), ERR_STATE);
    assert_non_null(strstr(err_msg(), lane_reason_str(LANE_REASON_STOP)));
    assert_int_equal(lane_ended(&client), LANE_REASON_STOP);
    assert_int_equal(lane_wait(&client, 0, 1000000), ERR_STATE);
    send_n(&client, 2, ERR_STATE);
    lane_leave(&client);
}

static void test_lane_full_is_an_answer_on_both_sides(void **state)
{
    (void)state;
    lane_server_t server;
    lane_client_t client;
    open_both(&server, &client, SLOTS);
    for (uint64_t n = 1; n <= SLOTS; n++) {
        send_n(&client, n, ERR_OK);
    }
    send_n(&client, 17, ERR_FULL);
    for (uint64_t n = 1; n <= SLOTS; n++) {
        assert_int_equal(take_n(&server, n), ERR_OK);
    }
    send_n(&client, 17, ERR_OK);
    for (uint64_t n = 1; n < SLOTS; n++) { /* LANE is the first of them */
        assert_int_equal(answer_n(&server, n), ERR_OK);
    }
    assert_int_equal(answer_n(&server, 16), ERR_FULL);
    assert_int_equal(next_lane(&client).state, LANE_OPEN);
    assert_int_equal(answer_n(&server, 16), ERR_FULL); /* given out, not yet taken: its bytes may be looked at */
    next_n(&client, 1);
    assert_int_equal(answer_n(&server, 16), ERR_OK);
    lane_close(&server, LANE_REASON_RSP_FULL); /* no room for its last word: the state says it */
    for (uint64_t n = 2; n <= 16; n++) {
        next_n(&client, n);
    }
    assert_int_equal(next_err(&client), ERR_STATE);
    assert_int_equal(lane_ended(&client), LANE_REASON_RSP_FULL);
    lane_leave(&client);
}

static void test_lane_leave_shows_and_death_shows(void **state)
{
    (void)state;
    lane_server_t server;
    lane_client_t client;
    open_both(&server, &client, SLOTS);
    lane_leave(&client);
    assert_int_equal(lane_look(&server), LANE_REASON_RELEASED);
    lane_close(&server, LANE_REASON_RELEASED);

    open_both(&server, &client, SLOTS);
    close(client.link_fd); /* as the kernel does for one who dies */
    assert_int_equal(lane_look(&server), LANE_REASON_DEAD);
    lane_close(&server, LANE_REASON_DEAD);
    munmap(client.cmd, client.cmd_bytes);

    open_both(&server, &client, SLOTS);
    assert_int_equal(send(client.link_fd, "x", 1, 0), 1); /* its end would lie behind this */
    assert_int_equal(lane_look(&server), LANE_REASON_MISUSED);
    close(client.link_fd);
    assert_int_equal(lane_look(&server), LANE_REASON_MISUSED);
    lane_close(&server, LANE_REASON_MISUSED);

    open_both(&server, &client, SLOTS);
    next_lane(&client);
    close(server.link_fd); /* the engine is killed */
    assert_int_equal(lane_ended(&client), LANE_REASON_DEAD);
    const int64_t began = (int64_t)time(NULL);
    assert_int_equal(lane_wait(&client, 0, 5000000000), ERR_STATE);
    assert_true(time(NULL) - began < 4);
    lane_leave(&client);
}

static void test_lane_last_answers_of_a_dead_engine_are_heard(void **state)
{
    (void)state;
    lane_server_t server;
    lane_client_t client;
    open_both(&server, &client, SLOTS);
    next_lane(&client);
    between_server = &server;
    between        = answer_and_die;
    assert_int_equal(lane_wait(&client, 0, 1000000000), ERR_OK);
    assert_null(between);
    next_n(&client, 1);
    assert_int_equal(lane_wait(&client, 0, 1000000000), ERR_STATE);
    assert_int_equal(lane_ended(&client), LANE_REASON_DEAD);
    lane_leave(&client);
    lane_close(&server, LANE_REASON_DEAD);
}

static void test_lane_wait_says_time_is_up(void **state)
{
    (void)state;
    lane_server_t   server;
    lane_client_t   client;
    struct timespec a, b;
    open_both(&server, &client, SLOTS);
    assert_int_equal(lane_wait(&client, 0, 0), ERR_OK); /* the LANE message */
    next_lane(&client);
    assert_int_equal(lane_wait(&client, 0, 0), ERR_AGAIN);
    assert_int_equal(lane_wait(&client, 0, -5), ERR_AGAIN);
    clock_gettime(CLOCK_MONOTONIC, &a);
    assert_int_equal(lane_wait(&client, 2000000, 130000000), ERR_AGAIN);
    clock_gettime(CLOCK_MONOTONIC, &b);
    const int64_t took = (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec;
    assert_true(took >= 130000000 && took < 3000000000);
    assert_int_equal(client.cmd->asleep, 0);
    answer_n(&server, 1);
    assert_int_equal(lane_wait(&client, 0, 0), ERR_OK);
    next_n(&client, 1);
    lane_leave(&client);
    lane_close(&server, LANE_REASON_RELEASED);
}

/* ---- both sides sleep --------------------------------------------------------------------------------------------------- */
typedef struct run {
    lane_server_t server;
    lane_client_t client;
    uint64_t      messages;
    uint64_t      slept; /* by the engine's side */
} run_t;

/* As the engine sleeps: asleep, fence, look again, wait on the bell in the read-only mapping. */
static void server_sleeps(run_t *run)
{
    lane_server_t *s    = &run->server;
    const uint32_t word = atomic_load_explicit(&s->cmd->bell.word, memory_order_acquire);
    atomic_store_explicit(&s->rsp->asleep, 1, memory_order_relaxed);
    words_fence_full();
    if (!request_waits(s)) {
        run->slept++;
        const struct timespec t  = {.tv_sec = 20}; /* a bell that is missed is a test that takes for ever */
        const long            rc = syscall(SYS_futex, &s->cmd->bell.word, FUTEX_WAIT, word, &t, NULL, 0);
        MUST(rc == 0 || errno != ETIMEDOUT);
    }
    atomic_store_explicit(&s->rsp->asleep, 0, memory_order_relaxed);
}

static void *echo(void *ctx)
{
    run_t *run = ctx;
    for (uint64_t n = 1; n <= run->messages;) {
        _Alignas(8) uint8_t buf[ROOM];
        ring_meta_t         meta;
        const err_t         err = lane_take(&run->server, buf, sizeof buf, &meta);
        if (err == ERR_EMPTY) {
            lane_bell(&run->server);
            server_sleeps(run);
            continue;
        }
        MUST(err == ERR_OK && meta.topic == (uint32_t)n && seeded_whole(buf, n, meta.len));
        MUST(lane_answer(&run->server, &meta, buf) == ERR_OK);
        n++;
    }
    lane_bell(&run->server);
    return NULL;
}

/* Asks in bursts of up to 8, waits for all answers; sometimes spins, mostly sleeps. */
static void ask(run_t *run, uint64_t seed)
{
    uint64_t sent = 0, got = 0;
    MUST(lane_wait(&run->client, 0, 20000000000) == ERR_OK); /* it is open */
    next_lane(&run->client);
    while (got < run->messages) {
        const uint64_t burst = 1 + seeded_next(&seed) % 8;
        for (uint64_t i = 0; i < burst && sent < run->messages; i++) {
            send_n(&run->client, ++sent, ERR_OK);
        }
        while (got < sent) {
            MUST(lane_wait(&run->client, seeded_next(&seed) % 4 ? 0 : 20000, 20000000000) == ERR_OK);
            next_n(&run->client, ++got);
        }
    }
}

/* Each side has mappings of its own, and ThreadSanitizer takes them for different memory: here the readers look where the
 * writers write. Returns what they had. */
static run_t one_memory(run_t *run)
{
    const run_t  had  = *run;
    const size_t head = sizeof(lane_cmd_t), bytes = run->client.cmd_bytes - head;
    lane_cmd_t  *cmd = run->client.cmd;
    lane_rsp_t  *rsp = run->server.rsp;
    run->server.cmd  = cmd;
    run->client.rsp  = rsp;
    MUST(lossless_reader_join(&run->server.from, (uint8_t *)cmd + head, bytes, &rsp->taken, 0) == ERR_OK);
    MUST(lossless_reader_join(&run->client.from, (uint8_t *)rsp + head, bytes, &cmd->taken, 0) == ERR_OK);
    lossless_writer_cursor(&run->server.to, &cmd->taken);
    lossless_writer_cursor(&run->client.to, &rsp->taken);
    return had;
}

static void test_lane_sleepers_miss_nothing(void **state)
{
    (void)state;
    const uint64_t seed = seeded_seed("test_lane_sleepers_miss_nothing");
    run_t          run  = {.messages = getenv("HWAL_QUICK") ? 10000 : seeded_rounds(100000, 5000000)};
    pthread_t      thread;
    open_both(&run.server, &run.client, SLOTS);
    const run_t had = one_memory(&run);
    assert_int_equal(pthread_create(&thread, NULL, echo, &run), 0);
    ask(&run, seed);
    pthread_join(thread, NULL);
    assert_true(run.slept > 0);
    run.server.cmd       = had.server.cmd;
    run.client.rsp       = had.client.rsp;
    run.server.to.cursor = &had.server.cmd->taken;
    lane_leave(&run.client);
    lane_close(&run.server, LANE_REASON_RELEASED);
}

#ifndef __SANITIZE_THREAD__ /* it does not follow forks of a process with threads */
static void test_lane_processes_sleep_too(void **state)
{
    (void)state;
    const uint64_t seed = seeded_seed("test_lane_processes_sleep_too");
    run_t          run  = {.messages = getenv("HWAL_QUICK") ? 5000 : seeded_rounds(30000, 1000000)};
    ends_t         e    = ends_make(SLOTS);
    serve(&run.server, &e);
    const pid_t pid = fork();
    if (pid == 0) {
        close(run.server.link_fd);
        MUST(lane_join(&run.client, e.cmd, e.rsp, e.client_link) == ERR_OK);
        ask(&run, seed);
        lane_leave(&run.client);
        _exit(0);
    }
    close(e.cmd);
    close(e.rsp);
    close(e.client_link);
    lane_open(&run.server, &identity);
    echo(&run);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(lane_look(&run.server), LANE_REASON_RELEASED);
    lane_close(&run.server, LANE_REASON_RELEASED);
}

/* ---- a client that is killed ---------------------------------------------------------------------------------------------- */
/* Writes for ever; every so often a message whose word is never stored: reserve, no commit. */
static void client_writes(ends_t *e, uint64_t x)
{
    lane_client_t client;
    MUST(lane_join(&client, e->cmd, e->rsp, e->client_link) == ERR_OK);
    for (uint64_t n = 1;;) {
        if (lossless_room(&client.to, 1) == 0) {
            sched_yield();
            continue;
        }
        if (seeded_next(&x) % 4 == 0) {
            seeded_fill(lossless_slot(&client.to, 0), n ^ 0xffff, ROOM);
        }
        send_n(&client, n++, ERR_OK);
    }
}

static void test_lane_killed_client_leaves_whole_messages(void **state)
{
    (void)state;
    uint64_t x = seeded_seed("test_lane_killed_client_leaves_whole_messages");
    for (uint64_t round = seeded_rounds(20, 500); round > 0; round--) {
        ends_t        e = ends_make(SLOTS);
        lane_server_t server;
        uint64_t      n = 0;
        int           status;
        serve(&server, &e);
        const pid_t pid = fork();
        if (pid == 0) {
            close(server.link_fd);
            client_writes(&e, x);
        }
        close(e.cmd);
        close(e.rsp);
        close(e.client_link);
        lane_open(&server, &identity);
        const uint64_t until = seeded_next(&x) % 2000;
        while (n < until) {
            const err_t err = take_n(&server, n + 1);
            assert_true(err == ERR_OK || err == ERR_EMPTY);
            n += err == ERR_OK;
            assert_true(err == ERR_OK || lane_look(&server) == LANE_REASON_NONE);
        }
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(lane_look(&server), LANE_REASON_DEAD);
        while (take_n(&server, n + 1) == ERR_OK) { /* what it committed is there, and nothing else */
            n++;
        }
        assert_int_equal(take_n(&server, n + 1), ERR_EMPTY);
        lane_close(&server, LANE_REASON_DEAD);
    }
}

/* ---- attacks ----------------------------------------------------------------------------------------------------------------- */
/* Does this end with that signal? */
static bool dies_by(int signal, void (*act)(void *ctx), void *ctx)
{
    int         status;
    const pid_t pid = fork();
    if (pid == 0) {
        struct sigaction fall = {.sa_handler = SIG_DFL};
        sigaction(SIGSEGV, &fall, NULL); /* a sanitizer would make an exit code of it */
        sigaction(SIGBUS, &fall, NULL);
        act(ctx);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}

static void write_there(void *ctx)
{
    *(volatile uint32_t *)ctx = 1;
}

static void test_lane_rsp_cannot_be_written_by_its_client(void **state)
{
    (void)state;
    lane_server_t server;
    lane_client_t client;
    ends_t        e = ends_make(SLOTS);
    char          path[64];
    serve(&server, &e);
    assert_int_equal(lane_join(&client, dup(e.cmd), dup(e.rsp), e.client_link), ERR_OK);
    lane_open(&server, &identity);
    lane_rsp_t *rsp = (lane_rsp_t *)(uintptr_t)client.rsp;
    assert_true(dies_by(SIGSEGV, write_there, (void *)(uintptr_t)&rsp->state));
    assert_int_equal(mprotect(rsp, client.rsp_bytes, PROT_READ | PROT_WRITE), -1);
    assert_ptr_equal(mmap(NULL, client.rsp_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, e.rsp, 0), MAP_FAILED);
    assert_int_equal(write(e.rsp, "x", 1), -1);
    assert_int_equal(pwrite(e.rsp, "x", 1, 64), -1);
    assert_int_equal(ftruncate(e.rsp, 0), -1);
    assert_int_equal(ftruncate(e.rsp, 1 << 20), -1);
    assert_int_equal(fallocate(e.rsp, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
    assert_int_equal(fallocate(e.rsp, FALLOC_FL_ZERO_RANGE, 0, 4096), -1);
    assert_int_equal(fcntl(e.rsp, F_ADD_SEALS, F_SEAL_WRITE), -1);
    snprintf(path, sizeof path, "/proc/self/fd/%d", e.rsp);
    const int again =
        open(path, O_RDWR | O_CLOEXEC); /* another descriptor of the same file: the seals are the file's */
    if (again >= 0) {
        assert_ptr_equal(mmap(NULL, client.rsp_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
        close(again);
    }
    const int truncated = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
    assert_int_equal(truncated, -1);
    assert_int_equal(next_lane(&client).state, LANE_OPEN); /* and all is as it was */
    close(e.cmd);
    close(e.rsp);
    lane_leave(&client);
    lane_close(&server, LANE_REASON_RELEASED);
}

static void test_lane_cmd_keeps_its_size(void **state)
{
    (void)state;
    lane_server_t server;
    lane_client_t client;
    ends_t        e = ends_make(SLOTS);
    serve(&server, &e);
    assert_int_equal(lane_join(&client, dup(e.cmd), dup(e.rsp), e.client_link), ERR_OK);
    assert_int_equal(ftruncate(e.cmd, 0), -1);
    assert_int_equal(ftruncate(e.cmd, 4096), -1);
    assert_int_equal(ftruncate(e.cmd, 1 << 20), -1);
    assert_int_equal(fcntl(e.cmd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    assert_int_equal(fcntl(e.cmd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
    send_n(&client, 1, ERR_OK);
    assert_int_equal(take_n(&server, 1), ERR_OK);
    close(e.cmd);
    close(e.rsp);
    lane_leave(&client);
    lane_close(&server, LANE_REASON_RELEASED);
}

static void test_lane_holes_close_it(void **state)
{
    (void)state;
    lane_server_t server;
    lane_client_t client;
    ends_t        e = ends_make(SLOTS);
    serve(&server, &e);
    assert_int_equal(lane_join(&client, dup(e.cmd), dup(e.rsp), e.client_link), ERR_OK);
    lane_open(&server, &identity);
    for (uint64_t n = 1; n <= 40; n++) { /* some laps */
        send_n(&client, n, ERR_OK);
        assert_int_equal(take_n(&server, n), ERR_OK);
    }
    assert_int_equal(take_n(&server, 41), ERR_EMPTY);
    assert_int_equal(lane_look(&server), LANE_REASON_NONE);
    const off_t bytes = (off_t)client.cmd_bytes;
    assert_int_equal(fallocate(e.cmd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes), 0);
    assert_int_equal(lane_look(&server), LANE_REASON_DAMAGED); /* the head is gone */
    assert_int_equal(take_n(&server, 41), ERR_PARSE);          /* so is what lay in the slot before */
    assert_int_equal(answer_n(&server, 1), ERR_OK);            /* its cursor is gone: not believed */
    lane_close(&server, LANE_REASON_DAMAGED);
    assert_int_equal(next_lane(&client).state, LANE_OPEN);
    next_n(&client, 1);
    assert_int_equal(next_lane(&client).reason, LANE_REASON_DAMAGED);
    close(e.cmd);
    close(e.rsp);
    lane_leave(&client);
}

static void test_lane_each_lie_is_named(void **state)
{
    (void)state;
    static const struct {
        uint64_t seq;
        uint32_t len;
        err_t    want;
    } lies[] = {{1, 8, ERR_OK},    {1, ROOM, ERR_OK},          {1, ROOM + 1, ERR_PARSE}, {1, UINT32_MAX, ERR_PARSE},
                {2, 8, ERR_PARSE}, {UINT64_MAX, 8, ERR_PARSE}, {17, 8, ERR_PARSE},       {0, 8, ERR_EMPTY}};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        _Alignas(8) uint8_t buf[ROOM];
        ring_meta_t         meta;
        lane_server_t       server;
        lane_client_t       client;
        open_both(&server, &client, SLOTS);
        ring_slot_t *slot = lossless_slot_head(&client.to, 0);
        slot->meta.len    = lies[i].len;
        slot->seq         = lies[i].seq;
        assert_int_equal(lane_take(&server, buf, sizeof buf, &meta), lies[i].want);
        assert_true(lies[i].want != ERR_PARSE || strstr(err_msg(), "lane cmd: "));
        lane_leave(&client);
        lane_close(&server, LANE_REASON_DAMAGED);
    }
    lane_server_t       server;
    lane_client_t       client;
    _Alignas(8) uint8_t small[16], larger[24] = {0};
    ring_meta_t         meta;
    open_both(&server, &client, SLOTS);
    assert_int_equal(lane_send(&client, &(ring_meta_t){.len = 24}, larger), ERR_OK); /* what it sends does not matter */
    assert_int_equal(lane_take(&server, small, sizeof small, &meta), ERR_PARSE);     /* larger than the taker's place */
    static const uint64_t cursors[] = {0, 5, UINT64_MAX, 1ull << 63};
    for (size_t i = 0; i < 4; i++) { /* lies about what it took: rsp fills up, nothing else */
        client.cmd->taken.taken = cursors[i];
        for (uint64_t n = 0; n < SLOTS + 1; n++) {
            answer_n(&server, n);
        }
        assert_true(answer_n(&server, 1) == ERR_FULL || cursors[i] == 5);
    }
    lane_leave(&client);
    lane_close(&server, LANE_REASON_DAMAGED);
}

/* One client tears at all it can reach while another one is served: bytes, words, holes, bells, cursors. */
static void tear(ends_t *e, uint64_t x)
{
    lane_client_t client;
    MUST(lane_join(&client, dup(e->cmd), e->rsp, e->client_link) == ERR_OK);
    uint8_t *bytes = (uint8_t *)client.cmd;
    seeded_fill(lossless_slot(&client.to, 0), x, 64); /* a few that can be taken, before anything is torn */
    for (uint32_t i = 0; i < SLOTS / 2; i++) {
        lossless_meta(&client.to, 0, &(ring_meta_t){.len = 64});
        lossless_commit(&client.to, 1);
    }
    while (client.rsp->taken.taken < SLOTS / 2) {
        nap(10000);
    }
    for (;;) {
        const uint64_t dice = seeded_next(&x), at = seeded_next(&x);
        switch (dice % 8) {
        case 0: bytes[at % client.cmd_bytes] ^= (uint8_t)(1u << dice / 8 % 8); break;
        case 1: /* words of slots: believable ones */
            lossless_slot_head(&client.to, (uint32_t)(at % SLOTS))->seq = client.to.next + dice / 8 % 40;
            break;
        case 2: lossless_slot_head(&client.to, (uint32_t)(at % SLOTS))->meta.len = (uint32_t)(dice >> 32); break;
        case 3: client.cmd->taken.taken = at % 100; break;
        case 4: client.cmd->asleep = (uint32_t)at & 1; break;
        case 5: client.cmd->bell.word += 1; break;
        case 6:
            if (dice / 8 % 64 == 0) {
                fallocate(e->cmd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(at % 2 * 4096), 4096);
            }
            break;
        default:
            seeded_fill(lossless_slot(&client.to, 0), at, 64);
            lossless_commit(&client.to, 1);
            client.to.taken = client.to.next - 1;
        }
    }
}

static void torn_round(lane_server_t *good, lane_client_t *client, uint64_t *n, uint64_t *x, uint64_t seen[ERR_COUNT])
{
    ends_t        e = ends_make(SLOTS);
    lane_server_t bad;
    serve(&bad, &e);
    const pid_t pid = fork();
    if (pid == 0) {
        close(bad.link_fd);
        tear(&e, *x);
    }
    close(e.cmd);
    close(e.rsp);
    close(e.client_link);
    lane_open(&bad, &identity);
    for (uint64_t turns = 2000 + seeded_next(x) % 2000; turns > 0; turns--) {
        struct { /* a place with a fence on both sides */
            uint64_t before;
            _Alignas(8) uint8_t buf[ROOM];
            uint64_t behind;
        } place = {.before = 0x5a5a, .behind = 0xa5a5};
        ring_meta_t meta;
        const err_t err = lane_take(&bad, place.buf, sizeof place.buf, &meta);
        assert_true(err == ERR_OK || err == ERR_EMPTY || err == ERR_PARSE);
        seen[err]++;
        assert_true(err != ERR_OK || meta.len <= sizeof place.buf);
        assert_true(place.before == 0x5a5a && place.behind == 0xa5a5);
        answer_n(&bad, turns);
        lane_bell(&bad);
        const lane_reason_t reason = lane_look(&bad);
        seen[ERR_STATE] += reason == LANE_REASON_DAMAGED;
        assert_true(reason == LANE_REASON_NONE || reason == LANE_REASON_DAMAGED || reason == LANE_REASON_RELEASED);
        if (turns % 64 == 0) {
            nap(50000); /* it needs a processor too */
        }
        send_n(client, ++*n, ERR_OK); /* the other one goes on */
        assert_int_equal(take_n(good, *n), ERR_OK);
        assert_int_equal(answer_n(good, *n), ERR_OK);
        next_n(client, *n);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    lane_close(&bad, LANE_REASON_DAMAGED);
}

static void test_lane_hostile_client_harms_itself_alone(void **state)
{
    (void)state;
    uint64_t      x = seeded_seed("test_lane_hostile_client_harms_itself_alone"), n = 0, seen[ERR_COUNT] = {0};
    lane_server_t good;
    lane_client_t client;
    open_both(&good, &client, SLOTS);
    next_lane(&client);
    const uint64_t rounds = seeded_rounds(15, 500);
    for (uint64_t round = 0; round < rounds || seen[ERR_OK] == 0 || seen[ERR_PARSE] == 0 || seen[ERR_STATE] == 0;
         round++) {
        if (round >= 10 * rounds) { /* it must have torn: messages, damage in the ring, damage in the head */
            fail_msg("taken %llu, ring damaged %llu, head damaged %llu", (unsigned long long)seen[ERR_OK],
                     (unsigned long long)seen[ERR_PARSE], (unsigned long long)seen[ERR_STATE]);
        }
        torn_round(&good, &client, &n, &x, seen);
        seeded_next(&x);
    }
    assert_int_equal(lane_look(&good), LANE_REASON_NONE);
    lane_leave(&client);
    lane_close(&good, LANE_REASON_RELEASED);
}

/* Every bit of head and control lines, once. */
static void test_lane_every_flipped_bit_of_the_head(void **state)
{
    (void)state;
    for (uint32_t bit = 0; bit < 8 * (sizeof(lane_cmd_t) + 128); bit++) {
        lane_server_t server;
        lane_client_t client;
        open_both(&server, &client, SLOTS);
        ((uint8_t *)client.cmd)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        const lane_reason_t reason = lane_look(&server);
        const bool          head   = bit / 8 < offsetof(lane_head_t, pad);
        const bool          bye    = bit / 32 == offsetof(lane_cmd_t, goodbye) / 4;
        assert_int_equal(reason, head ? LANE_REASON_DAMAGED : bye ? LANE_REASON_RELEASED : LANE_REASON_NONE);
        send_n(&client, 1, ERR_OK);
        assert_int_equal(take_n(&server, 1), ERR_OK); /* the engine's own cursors and sizes */
        lane_leave(&client);
        lane_close(&server, reason);
    }
}
#endif

/* ---- the lease, with a supervisor that says what the test wants -------------------------------------------------------------- */
enum { DOOR_GIVES, DOOR_REFUSES, DOOR_HANGS_UP, DOOR_IS_SILENT, DOOR_BABBLES, DOOR_FORGETS, DOOR_IS_ANOTHER };

typedef struct door {
    char          dir[64];
    int           dir_fd, fd;
    int           what; /* what it does */
    lane_server_t server;
} door_t;

static void door_make(door_t *d)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(d->dir, sizeof d->dir, "%s/hwal_lane_XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(d->dir));
    d->dir_fd = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    d->fd     = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/%s", d->dir_fd, LANE_SOCKET);
    assert_int_equal(bind(d->fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(d->fd, 4), 0);
}

static void door_remove(door_t *d)
{
    unlinkat(d->dir_fd, LANE_SOCKET, 0);
    close(d->dir_fd);
    rmdir(d->dir);
}

static void *door_serve(void *ctx)
{
    door_t        *d       = ctx;
    lane_welcome_t welcome = {.magic = LANE_WELCOME_MAGIC, .err = ERR_EXISTS, .text = "client x: pid 5 holds it"};
    lane_hello_t   hello;
    const int      fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC);
    MUST(fd >= 0);
    if (d->what != DOOR_HANGS_UP) {
        MUST(recv(fd, &hello, sizeof hello, 0) == sizeof hello);
        MUST(hello.magic == LANE_HELLO_MAGIC && hello.layout_hash == segment_layout_hash());
        MUST(strcmp(hello.name, "desk") == 0);
    }
    if (d->what == DOOR_IS_SILENT) {
        nap(300000000);
    } else if (d->what == DOOR_BABBLES) {
        MUST(send(fd, "what?", 5, 0) == 5);
    } else if (d->what != DOOR_GIVES) {
        welcome.err = d->what == DOOR_FORGETS ? 0 : welcome.err;
        welcome.magic ^= d->what == DOOR_IS_ANOTHER;
        MUST(send(fd, &welcome, sizeof welcome, 0) == sizeof welcome);
    } else {
        int fds[2];
        MUST(lane_make(SLOTS, &fds[0], &fds[1]) == ERR_OK);
        MUST(lane_serve(&d->server, dup(fds[0]), dup(fds[1]), dup(fd)) == ERR_OK);
        union {
            struct cmsghdr align;
            char           bytes[CMSG_SPACE(sizeof fds)];
        } control          = {0};
        struct iovec  part = {.iov_base = &welcome, .iov_len = sizeof welcome};
        struct msghdr head = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        struct cmsghdr *right = CMSG_FIRSTHDR(&head);
        right->cmsg_level     = SOL_SOCKET;
        right->cmsg_type      = SCM_RIGHTS;
        right->cmsg_len       = CMSG_LEN(sizeof fds);
        memcpy(CMSG_DATA(right), fds, sizeof fds);
        welcome.err = 0;
        MUST(sendmsg(fd, &head, 0) == sizeof welcome);
        close(fds[0]);
        close(fds[1]);
    }
    close(fd);
    return NULL;
}

static err_t lease(door_t *d, int what, lane_client_t *client)
{
    pthread_t thread;
    d->what = what;
    MUST(pthread_create(&thread, NULL, door_serve, d) == 0);
    const err_t err = lane_lease(client, d->dir_fd, "desk", what == DOOR_IS_SILENT ? 100000000 : 10000000000);
    char        sentence[512];
    snprintf(sentence, sizeof sentence, "%s", err_msg());
    pthread_join(thread, NULL);
    return err ? err_set(err, "%s", sentence) : ERR_OK;
}

static void test_lane_lease_gives_what_the_door_says(void **state)
{
    (void)state;
    door_t        d = {0};
    lane_client_t client;
    door_make(&d);
    assert_int_equal(lease(&d, DOOR_REFUSES, &client), ERR_EXISTS);
    assert_string_equal(err_msg(), "client x: pid 5 holds it");
    assert_int_equal(lease(&d, DOOR_HANGS_UP, &client), ERR_EXISTS); /* refused before it asked: the reason is read */
    assert_int_equal(lease(&d, DOOR_BABBLES, &client), ERR_PARSE);
    assert_int_equal(lease(&d, DOOR_IS_ANOTHER, &client), ERR_PARSE);
    assert_int_equal(lease(&d, DOOR_FORGETS, &client), ERR_PARSE);
    assert_int_equal(lease(&d, DOOR_IS_SILENT, &client), ERR_AGAIN);
    assert_int_equal(client.link_fd, -1);
    assert_int_equal(lease(&d, DOOR_GIVES, &client), ERR_OK);
    lane_open(&d.server, &identity);
    assert_int_equal(lane_wait(&client, 0, 1000000000), ERR_OK);
    assert_int_equal(next_lane(&client).strategy_id, 9);
    lane_leave(&client);
    assert_int_equal(lane_look(&d.server), LANE_REASON_RELEASED);
    lane_close(&d.server, LANE_REASON_RELEASED);
    assert_int_equal(lane_lease(&client, d.dir_fd, "a-name-that-is-longer-than-any-can-be", 1000000), ERR_NOT_FOUND);
    close(d.fd);
    assert_int_equal(lane_lease(&client, d.dir_fd, "desk", 1000000000), ERR_STATE);
    assert_non_null(strstr(err_msg(), "no supervisor runs"));
    unlinkat(d.dir_fd, LANE_SOCKET, 0);
    assert_int_equal(lane_lease(&client, d.dir_fd, "desk", 1000000000), ERR_NOT_FOUND);
    assert_int_equal(lane_lease(&client, d.dir_fd, "desk", 0), ERR_AGAIN);
    door_remove(&d);
}

static void test_lane_lease_waits_no_longer_than_asked(void **state)
{
    (void)state;
    door_t          d = {0};
    lane_client_t   client;
    struct timespec a, b;
    door_make(&d);
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < 8; i++) { /* nobody accepts: at first they wait for an answer, then even to be let in */
        assert_int_equal(lane_lease(&client, d.dir_fd, "desk", 50000000), ERR_AGAIN);
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    assert_true(b.tv_sec - a.tv_sec < 5);
    close(d.fd);
    door_remove(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lane_makes_and_refuses_by_name),
        cmocka_unit_test(test_lane_another_layout_is_refused),
        cmocka_unit_test(test_lane_says_who_it_is_and_why_it_ends),
        cmocka_unit_test(test_lane_full_is_an_answer_on_both_sides),
        cmocka_unit_test(test_lane_leave_shows_and_death_shows),
        cmocka_unit_test(test_lane_last_answers_of_a_dead_engine_are_heard),
        cmocka_unit_test(test_lane_wait_says_time_is_up),
        cmocka_unit_test(test_lane_sleepers_miss_nothing),
#ifndef __SANITIZE_THREAD__
        cmocka_unit_test(test_lane_processes_sleep_too),
        cmocka_unit_test(test_lane_killed_client_leaves_whole_messages),
        cmocka_unit_test(test_lane_rsp_cannot_be_written_by_its_client),
        cmocka_unit_test(test_lane_cmd_keeps_its_size),
        cmocka_unit_test(test_lane_holes_close_it),
        cmocka_unit_test(test_lane_each_lie_is_named),
        cmocka_unit_test(test_lane_hostile_client_harms_itself_alone),
        cmocka_unit_test(test_lane_every_flipped_bit_of_the_head),
#endif
        cmocka_unit_test(test_lane_lease_gives_what_the_door_says),
        cmocka_unit_test(test_lane_lease_waits_no_longer_than_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
