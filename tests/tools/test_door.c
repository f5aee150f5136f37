/* The supervisor's door, with the engine's half played in this process (mails by role_news, lane_serve, lanes_page_t).
 *
 * Checked   who may, gets a lane that works, with the number, pid and uid that the engine sees too; everyone else gets a
 * sentence that names client, uid and reason, and the log has it; one lease a client, over every moment between hello and
 * the engine's word; numbers only rise, also over a new door; silent, babbling, hanging-up and flooding callers and an
 * engine that does not answer cost nobody else anything and end in time; no descriptor stays; the socket's mode, its
 * replacement and its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/message.h"
#include "tests/lib/seeded.h"
#include "tools/door.h"
#include "tools/mail.h"

#define SECOND_NS 1000000000LL
#define EPOCH 5u

typedef enum engine_mood { SERVES, SERVES_SILENTLY, IGNORES, DROPS } engine_mood_t;

static char            dir[64];
static int             dir_fd, mail_fd;
static words_t         words;
static char            said[1 << 16];
static config_client_t clients[3];
static config_t        config;
static door_t          door;
static int64_t         shift_ns; /* of the door's clock */

static struct engine {
    role_ctx_t      ctx;
    segment_t       seg;
    control_page_t *control;
    lanes_page_t   *page;
    engine_mood_t   mood;
    int             files[2]; /* cmd, rsp, that wait for their connection */
    uint64_t        number;
    lane_server_t   lanes[ENGINE_LANES_MAX];
} engine;

/* ---- the engine's half --------------------------------------------------------------------------------------------- */
static void engine_leases(uint64_t number, int link)
{
    const uint32_t id  = (uint32_t)(number & 255);
    struct ucred   who = {0};
    socklen_t      len = sizeof who;
    assert_true(id >= 1 && id <= 3 && number == engine.number);
    assert_null(engine.lanes[id - 1].cmd);
    assert_int_equal(getsockopt(link, SOL_SOCKET, SO_PEERCRED, &who, &len), 0);
    const lane_t lane = {.lease   = number >> 8,
                         .lane_id = id,
                         .uid     = who.uid,
                         .pid     = (uint32_t)who.pid,
                         .state   = LANE_OPEN,
                         .rights  = LANE_RIGHT_CHECK};
    if (lane_serve(&engine.lanes[id - 1], engine.files[0], engine.files[1], link) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
    lane_open(&engine.lanes[id - 1], &lane);
    if (engine.mood == SERVES) {
        lanes_page_show(engine.page, &lane);
    }
}

static void engine_closes(uint32_t id, lane_reason_t reason)
{
    lane_t lane = engine.lanes[id - 1].lane;
    lane.state  = LANE_CLOSED;
    lane.reason = (uint8_t)reason;
    lane_close(&engine.lanes[id - 1], reason);
    lanes_page_show(engine.page, &lane);
}

static void engine_turn(void)
{
    uint32_t which;
    if (engine.mood == IGNORES) {
        return;
    }
    while (role_news(&engine.ctx, &which) == ROLE_NEWS_FILE) {
        role_file_t *file = &engine.ctx.files[which];
        const int    fd   = file->fd;
        file->fd          = -1;
        if (engine.mood == DROPS) {
            close(fd);
        } else if (file->kind == ROLE_FILE_LANE_LINK) {
            engine_leases(file->number, fd);
        } else {
            assert_true(file->kind == ROLE_FILE_LANE_CMD || file->kind == ROLE_FILE_LANE_RSP);
            assert_true(file->kind == ROLE_FILE_LANE_CMD || file->number == engine.number);
            engine.files[file->kind - ROLE_FILE_LANE_CMD] = fd;
            engine.number                                 = file->number;
        }
    }
}

/* ---- a world -------------------------------------------------------------------------------------------------------- */
static void on_say(void *ctx, log_level_t level, const char *text)
{
    const size_t len = strlen(said);
    (void)ctx;
    (void)level;
    snprintf(said + len, sizeof said - len, "%s\n", text);
}

static err_t door_opens(void)
{
    return door_open(
        &door,
        &(door_cfg_t){
            .config = &config, .dir = dir, .dir_fd = dir_fd, .mail_fd = mail_fd, .words = &words, .say = on_say});
}

static int64_t now_ns(void)
{
    return role_mono_ns() + shift_ns;
}

static void turn(void)
{
    door_turn(&door, now_ns(), engine.seg.head ? &engine.seg : NULL);
    engine_turn();
}

static void engine_begins(uint32_t gen)
{
    const segment_cfg_t cfg = {
        .role = "engine", .instance = "door", .epoch = EPOCH, .gen = gen, .bytes = SEGMENT_HEAD_BYTES + 4096};
    engine = (struct engine){.mood = SERVES, .files = {-1, -1}};
    for (uint32_t i = 0; i < ENGINE_LANES_MAX; i++) {
        engine.lanes[i].link_fd = -1;
    }
    engine.ctx.role   = ROLE_ENGINE;
    engine.ctx.ctl_fd = mail_bind(dir_fd, dir, SOCK_DGRAM, "engine.ctl", 0600);
    assert_true(engine.ctx.ctl_fd >= 0);
    assert_int_equal(segment_create(dir_fd, &cfg, &engine.seg), ERR_OK);
    engine.control = segment_add(&engine.seg, "control", SEGMENT_CONTROL, sizeof(control_page_t));
    engine.page    = segment_add(&engine.seg, "lanes", SEGMENT_BLOB, sizeof(lanes_page_t));
    control_state(engine.control, ROLE_RUN);
}

static void engine_ends(void)
{
    for (uint32_t i = 0; i < ENGINE_LANES_MAX; i++) {
        if (engine.lanes[i].cmd) {
            lane_close(&engine.lanes[i], LANE_REASON_STOP);
        }
    }
    close(engine.ctx.ctl_fd);
    segment_close(&engine.seg);
}

static int setup(void **unused)
{
    (void)unused;
    snprintf(dir, sizeof dir, "/dev/shm/hwal_door_XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0750), 0);
    dir_fd                  = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mail_fd                 = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    words                   = (words_t){0};
    *said                   = '\0';
    shift_ns                = 0;
    static char names[3][8] = {"desk", "quant", "theirs"}, own[] = "", other[] = "nobody";
    for (int i = 0; i < 3; i++) {
        clients[i] = (config_client_t){.name = names[i], .user = i == 2 ? other : own};
    }
    config = (config_t){.instance = "door", .lanes = {.slots = 16, .clients = clients, .clients_count = 3}};
    engine_begins(77);
    assert_int_equal(door_opens(), ERR_OK);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    char command[128];
    door_close(&door);
    engine_ends();
    close(mail_fd);
    close(dir_fd);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static uint32_t descriptors(void)
{
    DIR     *list = opendir("/proc/self/fd");
    uint32_t n    = 0;
    while (readdir(list)) {
        n++;
    }
    closedir(list);
    return n;
}

/* ---- clients --------------------------------------------------------------------------------------------------------- */
typedef struct client {
    const char   *name;
    lane_client_t lane;
    err_t         err;
    char          sentence[512];
    pthread_t     thread;
    _Atomic bool  done;
} client_t;

static void *client_main(void *ctx)
{
    client_t *c = ctx;
    c->err      = lane_lease(&c->lane, dir_fd, c->name, 20 * SECOND_NS);
    snprintf(c->sentence, sizeof c->sentence, "%s", err_msg());
    c->done = true;
    return NULL;
}

static void client_asks(client_t *c, const char *name)
{
    *c = (client_t){.name = name};
    assert_int_equal(pthread_create(&c->thread, NULL, client_main, c), 0);
}

static void nap(void)
{
    clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void client_ends(client_t *c)
{
    for (int i = 0; !c->done; i++) {
        assert_true(i < 10000);
        turn();
        nap();
    }
    pthread_join(c->thread, NULL);
}

static void leased(client_t *c, const char *name)
{
    client_asks(c, name);
    client_ends(c);
    if (c->err) {
        fail_msg("%s is refused: %s", name, c->sentence);
    }
}

static void refused(const char *name, err_t err, const char *want)
{
    client_t c;
    client_asks(&c, name);
    client_ends(&c);
    if (c.err != err || !strstr(c.sentence, want)) {
        fail_msg("%s: %s \"%s\", wanted %s \"%s\"", name, err_str(c.err), c.sentence, err_str(err), want);
    }
    if (!strstr(said, c.sentence)) {
        fail_msg("\"%s\" is not in the log:\n%s", c.sentence, said);
    }
}

static lane_t identity(client_t *c)
{
    ring_meta_t meta;
    const void *payload;
    msg_t       msg;
    assert_int_equal(lane_wait(&c->lane, 0, SECOND_NS), ERR_OK);
    assert_int_equal(lane_next(&c->lane, &meta, &payload), ERR_OK);
    assert_int_equal(message_read((msg_type_t)meta.type, payload, meta.len, &msg), ERR_OK);
    assert_int_equal(msg.type, MSG_LANE);
    return *(const lane_t *)msg.body;
}

/* A connection that is no client of ours, and that many turns after it. */
static int raw(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const int          fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/%s", dir_fd, LANE_SOCKET);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void raw_refused(int fd, err_t err, const char *want)
{
    lane_welcome_t w;
    assert_int_equal(recv(fd, &w, sizeof w, MSG_DONTWAIT), sizeof w);
    if (w.err != err || !strstr(w.text, want)) {
        fail_msg("%s \"%s\", wanted %s \"%s\"", err_str((err_t)w.err), w.text, err_str(err), want);
    }
    assert_int_equal(recv(fd, &w, sizeof w, MSG_DONTWAIT), 0); /* and the end */
    close(fd);
}

/* ---- tests ------------------------------------------------------------------------------------------------------------ */
static void test_a_lease_works(void **unused)
{
    (void)unused;
    const uint32_t before = descriptors();
    client_t       c;
    atomic_store(&words.bells[ROLE_ENGINE].asleep, 1);
    leased(&c, "quant");
    const lane_t lane = identity(&c);
    assert_int_equal(lane.lane_id, 2);
    assert_int_equal(lane.lease >> 40, EPOCH);
    assert_int_equal(lane.uid, geteuid());
    assert_int_equal(lane.pid, getpid());
    assert_true(atomic_load(&words.engine_mail) >= 1);
    assert_true(atomic_load(&words.bells[ROLE_ENGINE].word) >= 1); /* it slept */
    assert_non_null(strstr(said, "lane of client quant is leased to pid "));
    assert_int_equal(descriptors(), before + 2); /* both ends of the connection, which are in this process */
    const uint64_t word = 42;
    uint64_t       got  = 0;
    ring_meta_t    meta;
    const void    *payload;
    assert_int_equal(lane_send(&c.lane, &(ring_meta_t){.len = 8, .type = 1}, &word), ERR_OK);
    assert_int_equal(lane_take(&engine.lanes[1], &got, sizeof got, &meta), ERR_OK);
    assert_int_equal(got, 42);
    assert_int_equal(lane_answer(&engine.lanes[1], &meta, &got), ERR_OK);
    lane_bell(&engine.lanes[1]);
    assert_int_equal(lane_wait(&c.lane, 0, SECOND_NS), ERR_OK);
    assert_int_equal(lane_next(&c.lane, &meta, &payload), ERR_OK);
    assert_memory_equal(payload, &word, 8);
    door_close(&door); /* the end of the supervisor ends no lease */
    assert_int_equal(lane_ended(&c.lane), LANE_REASON_NONE);
    assert_int_equal(lane_look(&engine.lanes[1]), LANE_REASON_NONE);
    lane_leave(&c.lane);
    assert_int_equal(lane_look(&engine.lanes[1]), LANE_REASON_RELEASED);
    engine_closes(2, LANE_REASON_RELEASED);
    assert_int_equal(descriptors(), before - 1); /* the door's own */
}

static void test_one_lease_a_client(void **unused)
{
    (void)unused;
    char     want[96];
    client_t first, other, again;
    leased(&first, "desk");
    snprintf(want, sizeof want, "lane of client desk, asked for by uid %u: pid %d of uid %u holds it", geteuid(),
             getpid(), geteuid());
    refused("desk", ERR_EXISTS, want);
    leased(&other, "quant"); /* another client's is another lane */
    const lane_t a = identity(&first);
    assert_true(identity(&other).lease > a.lease);
    lane_leave(&first.lane);
    refused("desk", ERR_EXISTS, "holds it"); /* the engine has not seen it yet */
    engine_closes(1, LANE_REASON_RELEASED);
    leased(&again, "desk");
    assert_true(identity(&again).lease > a.lease);
    lane_leave(&again.lane);
    lane_leave(&other.lane);
}

/* Who gives it back and asks at once waits a little; who leases again and again fills no journal. */
static void test_a_client_is_paced(void **unused)
{
    (void)unused;
    client_t      c;
    const int64_t began = now_ns();
    for (int i = 0; i < 6; i++) {
        leased(&c, "desk");
        lane_leave(&c.lane);
        engine_closes(1, LANE_REASON_RELEASED);
    }
    assert_true(now_ns() - began >= 5 * DOOR_PACE_NS);
}

/* The engine has not yet noticed that its holder is gone. */
static void test_a_dead_holder_keeps_nobody_out(void **unused)
{
    (void)unused;
    const pid_t gone = fork();
    if (gone == 0) {
        _exit(0);
    }
    waitpid(gone, NULL, 0);
    client_t first, second;
    leased(&first, "desk");
    lane_t shown = engine.lanes[0].lane;
    shown.pid    = (uint32_t)gone;
    lanes_page_show(engine.page, &shown);
    lane_leave(&first.lane);
    lane_close(&engine.lanes[0], LANE_REASON_DEAD); /* as it does when the next lease comes */
    leased(&second, "desk");
    lane_leave(&second.lane);
}

static void test_numbers_rise_over_a_new_door(void **unused)
{
    (void)unused;
    uint64_t before = 0;
    for (int i = 0; i < 5; i++) {
        client_t c;
        leased(&c, "desk");
        const lane_t lane = identity(&c);
        assert_true(lane.lease > before);
        before = lane.lease;
        door_close(&door);
        assert_int_equal(door_opens(), ERR_OK);
        refused("desk", ERR_EXISTS, "holds it");
        lane_leave(&c.lane);
        engine_closes(1, LANE_REASON_RELEASED);
    }
}

static void test_numbers_rise_within_a_millisecond(void **unused)
{
    (void)unused;
    lane_hello_t hello = {.magic = LANE_HELLO_MAGIC, .layout_hash = segment_layout_hash(), .name = "desk"};
    const int    a = raw(), b = raw();
    assert_int_equal(send(a, &hello, sizeof hello, 0), sizeof hello);
    snprintf(hello.name, sizeof hello.name, "quant");
    assert_int_equal(send(b, &hello, sizeof hello, 0), sizeof hello);
    door_turn(&door, now_ns(), &engine.seg);
    assert_true(door.callers[0].lease > 0 && door.callers[1].lease == door.callers[0].lease + 1);
    engine.mood = DROPS;
    engine_turn();
    close(a);
    close(b);
}

/* Between the seals and the engine's published word. */
static void test_what_was_just_given_is_not_given_again(void **unused)
{
    (void)unused;
    client_t first, second;
    engine.mood = SERVES_SILENTLY;
    leased(&first, "desk");
    refused("desk", ERR_EXISTS, "it was just given to another");
    lane_leave(&first.lane);
    engine_closes(1, LANE_REASON_RELEASED); /* now it says so */
    leased(&second, "desk");
    lane_leave(&second.lane);
    lane_close(&engine.lanes[0], LANE_REASON_RELEASED); /* and now it never does */
    refused("desk", ERR_EXISTS, "it was just given to another");
    shift_ns += 3 * SECOND_NS;
    leased(&second, "desk");
    lane_leave(&second.lane);
}

static void test_while_it_is_being_given_it_is_not_given(void **unused)
{
    (void)unused;
    client_t first;
    engine.mood = IGNORES;
    client_asks(&first, "desk");
    while (atomic_load(&words.engine_mail) == 0) { /* it is on its way */
        turn();
        nap();
    }
    refused("desk", ERR_EXISTS, "it is just being given to pid ");
    assert_true(door_wait_ns(&door, SECOND_NS) <= 1000000);
    engine.mood = SERVES;
    client_ends(&first);
    assert_int_equal(first.err, ERR_OK);
    assert_int_equal(door_wait_ns(&door, SECOND_NS), SECOND_NS);
    lane_leave(&first.lane);
}

static void test_refusals_name_client_uid_and_reason(void **unused)
{
    (void)unused;
    char want[128];
    snprintf(want, sizeof want, "lane of client nobody-here, asked for by uid %u: lanes.clients has no such client",
             geteuid());
    refused("nobody-here", ERR_NOT_FOUND, want);
    snprintf(want, sizeof want,
             "lane of client theirs, asked for by uid %u: it is uid 65534's alone (lanes.clients.user)", geteuid());
    refused("theirs", ERR_STATE, want);
    static const role_state_t states[] = {ROLE_BOOT, ROLE_RECOVERING, ROLE_STOPPING, ROLE_HALT, ROLE_FAIL};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        control_state(engine.control, states[i]);
        refused("desk", ERR_STATE, "the engine is not running now");
    }
    control_state(engine.control, ROLE_RUN);
    config.lanes.slots = 17;
    refused("desk", ERR_ARG, "lane: slots 17");
    config.lanes.slots = 16;
    refused("a name", ERR_PARSE, "that are no request for a lane");
    refused("", ERR_PARSE, "that are no request for a lane");
    client_t c;
    leased(&c, "desk"); /* and after all of that */
    lane_leave(&c.lane);
}

static void test_no_engine_no_lease(void **unused)
{
    (void)unused;
    client_t c;
    segment_close(&engine.seg);
    refused("desk", ERR_STATE, "the engine is not running now");
    engine_ends();
    engine_begins(78);
    engine.mood = IGNORES;
    client_asks(&c, "desk");
    while (atomic_load(&words.engine_mail) == 0) {
        turn();
        nap();
    }
    engine_ends();
    engine_begins(79); /* another life: what the old one was given is gone */
    client_ends(&c);
    assert_int_equal(c.err, ERR_STATE);
    assert_non_null(strstr(c.sentence, "the engine ended"));
    leased(&c, "desk");
    lane_leave(&c.lane);
}

static void test_hellos_that_are_none(void **unused)
{
    (void)unused;
    const uint32_t before      = descriptors();
    lane_hello_t   hello       = {.magic = LANE_HELLO_MAGIC, .layout_hash = segment_layout_hash() ^ 1, .name = "desk"};
    uint8_t        large[4096] = {0};
    int            fd          = raw();
    assert_int_equal(send(fd, &hello, sizeof hello, 0), sizeof hello);
    turn();
    raw_refused(fd, ERR_UNSUPPORTED, "its layout is ");
    hello.layout_hash ^= 1;
    const size_t sizes[] = {1, sizeof hello - 1, sizeof hello + 1, sizeof large};
    memcpy(large, &hello, sizeof hello);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fd = raw();
        assert_int_equal(send(fd, large, sizes[i], 0), sizes[i]);
        turn();
        raw_refused(fd, ERR_PARSE, "that are no request for a lane");
    }
    hello.magic ^= 1;
    fd = raw();
    assert_int_equal(send(fd, &hello, sizeof hello, 0), sizeof hello);
    turn();
    raw_refused(fd, ERR_PARSE, "that are no request for a lane");
    hello.magic ^= 1;
    memset(hello.name, 'x', sizeof hello.name); /* no end */
    fd = raw();
    assert_int_equal(send(fd, &hello, sizeof hello, 0), sizeof hello);
    turn();
    raw_refused(fd, ERR_PARSE, "that are no request for a lane");
    fd = raw();
    turn();
    close(fd); /* it hangs up */
    turn();
    fd = raw(); /* with descriptors that nobody wants */
    union {
        struct cmsghdr align;
        char           bytes[CMSG_SPACE(sizeof fd)];
    } control          = {0};
    struct iovec  part = {.iov_base = large, .iov_len = 8};
    struct msghdr head = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    struct cmsghdr *right = CMSG_FIRSTHDR(&head);
    right->cmsg_level     = SOL_SOCKET;
    right->cmsg_type      = SCM_RIGHTS;
    right->cmsg_len       = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(right), &dir_fd, sizeof dir_fd);
    assert_int_equal(sendmsg(fd, &head, 0), 8);
    turn();
    raw_refused(fd, ERR_PARSE, "no request");
    assert_int_equal(descriptors(), before);
}

static void test_silence_has_an_end(void **unused)
{
    (void)unused;
    const uint32_t before = descriptors();
    const int      fd     = raw();
    struct pollfd  fds[DOOR_POLL_MAX];
    turn();
    assert_int_equal(door_poll(&door, now_ns(), fds), 2); /* the socket and it */
    shift_ns += DOOR_WAIT_NS / 2;
    turn();
    assert_int_equal(door_poll(&door, now_ns(), fds), 2);
    shift_ns += DOOR_WAIT_NS / 2 + 1;
    turn();
    raw_refused(fd, ERR_AGAIN, "said nothing within 2 s");
    assert_int_equal(door_poll(&door, now_ns(), fds), 1);
    assert_int_equal(descriptors(), before);
    /* an engine that does not take what it is sent */
    client_t c;
    engine.mood = IGNORES;
    client_asks(&c, "desk");
    while (atomic_load(&words.engine_mail) == 0) {
        turn();
        nap();
    }
    shift_ns += DOOR_WAIT_NS + 1;
    client_ends(&c);
    assert_int_equal(c.err, ERR_AGAIN);
    assert_non_null(strstr(c.sentence, "the engine did not take it within 2 s"));
    engine.mood = DROPS; /* it takes them late, and throws them away */
    turn();
    assert_int_equal(descriptors(), before);
    client_asks(&c, "desk"); /* it refuses: no seals */
    for (const uint32_t mails = atomic_load(&words.engine_mail); atomic_load(&words.engine_mail) == mails;) {
        turn();
        nap();
    }
    turn();
    shift_ns += DOOR_WAIT_NS + 1;
    client_ends(&c);
    assert_int_equal(c.err, ERR_AGAIN);
    assert_int_equal(descriptors(), before);
    engine.mood = SERVES;
    leased(&c, "desk");
    lane_leave(&c.lane);
}

static void test_mails_wait_until_they_can_go(void **unused)
{
    (void)unused;
    client_t c;
    close(engine.ctx.ctl_fd);
    unlinkat(dir_fd, "engine.ctl", 0);
    engine.ctx.ctl_fd = -1;
    client_asks(&c, "desk");
    while (door.callers[0].lane_id == 0) {
        door_turn(&door, now_ns(), &engine.seg);
        nap();
    }
    door_turn(&door, now_ns(), &engine.seg);
    assert_int_equal(atomic_load(&words.engine_mail), 0);
    engine.ctx.ctl_fd = mail_bind(dir_fd, dir, SOCK_DGRAM, "engine.ctl", 0600);
    client_ends(&c);
    assert_int_equal(c.err, ERR_OK);
    lane_leave(&c.lane);
}

/* desk's connection finds no room behind its two files; quant, younger and in a place before desk's, is let in meanwhile. */
static void test_mails_of_two_leases_do_not_mix(void **unused)
{
    (void)unused;
    client_t           desk, quant;
    char               byte    = 0;
    int                fillers = 0, silent = raw();
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/engine.ctl", dir_fd);
    door_turn(&door, now_ns(), &engine.seg);
    assert_int_equal(door.callers[0].lane_id, 0);
    while (sendto(mail_fd, &byte, 1, MSG_DONTWAIT, (const struct sockaddr *)&at, sizeof at) == 1) {
        fillers++;
    }
    for (int i = 0; i < 2; i++) { /* room for two */
        assert_int_equal(recv(engine.ctx.ctl_fd, &byte, 1, MSG_DONTWAIT), 1);
    }
    client_asks(&desk, "desk");
    while (door.callers[1].mails != 2) {
        door_turn(&door, now_ns(), &engine.seg);
        nap();
    }
    close(silent);
    while (door.callers[0].fd >= 0) {
        door_turn(&door, now_ns(), &engine.seg);
    }
    client_asks(&quant, "quant");
    while (door.callers[0].lane_id != 2) {
        door_turn(&door, now_ns(), &engine.seg);
        nap();
    }
    assert_int_equal(door.callers[1].mails, 2);
    for (int i = 2; i < fillers; i++) {
        assert_int_equal(recv(engine.ctx.ctl_fd, &byte, 1, MSG_DONTWAIT), 1);
    }
    client_ends(&desk);
    client_ends(&quant);
    assert_int_equal(desk.err, ERR_OK);
    assert_int_equal(quant.err, ERR_OK);
    assert_true(identity(&desk).lease < identity(&quant).lease);
    lane_leave(&desk.lane);
    lane_leave(&quant.lane);
}

static void test_a_flood_keeps_nobody_out(void **unused)
{
    (void)unused;
    enum { FLOOD = 60 };
    const uint32_t before = descriptors();
    int            fds[FLOOD];
    client_t       c;
    for (int i = 0; i < FLOOD; i++) {
        fds[i] = raw();
        turn();
    }
    assert_int_equal(descriptors(), before + FLOOD + DOOR_CALLERS_MAX);
    raw_refused(fds[0], ERR_LIMIT, "others want its place"); /* the oldest first */
    raw_refused(fds[FLOOD - DOOR_CALLERS_MAX - 1], ERR_LIMIT, "others want its place");
    leased(&c, "desk");
    lane_leave(&c.lane);
    engine_closes(1, LANE_REASON_RELEASED);
    uint32_t lines = 0;
    for (const char *at = said; (at = strstr(at, "others want its place")); at++) {
        lines++;
    }
    assert_int_equal(lines, DOOR_SAID_MAX);
    shift_ns += DOOR_WAIT_NS + 1; /* the rest, and how many were not told */
    turn();
    assert_non_null(strstr(said, "lanes: 9 more leases were refused"));
    for (int i = 0; i < FLOOD; i++) {
        if (i != 0 && i != FLOOD - (int)DOOR_CALLERS_MAX - 1) {
            close(fds[i]);
        }
    }
    assert_int_equal(descriptors(), before);
}

static void test_no_descriptor_left(void **unused)
{
    (void)unused;
    struct pollfd fds[DOOR_POLL_MAX];
    struct rlimit limit, small;
    const int     fd = raw(), free_fd = dup(dir_fd);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    small          = limit;
    small.rlim_cur = (rlim_t)free_fd; /* the lowest number that is free is one too many */
    close(free_fd);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
    turn();
    assert_non_null(strstr(said, "no caller is let in for now: Too many open files"));
    assert_int_equal(door_poll(&door, now_ns(), fds), 0); /* it would only say the same again */
    *said = '\0';
    shift_ns += 50000000;
    turn();
    assert_string_equal(said, "");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    shift_ns += 60000000;
    assert_int_equal(door_poll(&door, now_ns(), fds), 1);
    turn();
    assert_int_equal(door_poll(&door, now_ns(), fds), 2);
    close(fd);
}

/* The user of a client alone, also when it is not root's: no exception. */
static int as_nobody(void)
{
    client_t mine = {.name = "theirs"}, not_mine = {.name = "desk"};
    if (setresuid(65534, 65534, 65534) != 0) { /* the group stays: it may enter the directory */
        return 9;
    }
    client_main(&not_mine);
    client_main(&mine);
    char want[96];
    snprintf(want, sizeof want, "asked for by uid 65534: it is uid 0's alone");
    return not_mine.err != ERR_STATE || !strstr(not_mine.sentence, want) ? 1
           : mine.err != ERR_OK                                          ? 2
           : lane_wait(&mine.lane, 0, SECOND_NS) != ERR_OK               ? 3
                                                                         : 0;
}

static void test_another_users_client(void **unused)
{
    (void)unused;
    int status;
    if (geteuid() != 0) {
        printf("SKIP test_another_users_client: only root can be somebody else\n");
        skip();
    }
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(as_nobody());
    }
    for (int i = 0; waitpid(pid, &status, WNOHANG) == 0; i++) {
        assert_true(i < 10000);
        turn();
        nap();
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(engine.lanes[2].lane.uid, 65534);
    assert_int_equal(engine.lanes[2].lane.pid, pid);
    assert_int_equal(lane_look(&engine.lanes[2]), LANE_REASON_DEAD); /* it left without a word */
}

static void test_the_socket_and_its_end(void **unused)
{
    (void)unused;
    struct stat st;
    assert_int_equal(fstatat(dir_fd, LANE_SOCKET, &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0660);
    const int fd = raw();
    turn();
    door_close(&door);
    raw_refused(fd, ERR_STATE, "the supervisor ends");
    assert_int_equal(fstatat(dir_fd, LANE_SOCKET, &st, AT_SYMLINK_NOFOLLOW), -1);
    /* what a dead one left is replaced, whatever it is */
    close(openat(dir_fd, LANE_SOCKET, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(door_opens(), ERR_OK);
    client_t c;
    leased(&c, "desk");
    lane_leave(&c.lane);
    door_close(&door);
    /* nobody may lease: nothing listens */
    close(openat(dir_fd, LANE_SOCKET, O_CREAT | O_WRONLY, 0600));
    config.lanes.clients_count = 0;
    assert_int_equal(door_opens(), ERR_OK);
    assert_int_equal(fstatat(dir_fd, LANE_SOCKET, &st, AT_SYMLINK_NOFOLLOW), -1);
    struct pollfd fds[DOOR_POLL_MAX];
    assert_int_equal(door_poll(&door, now_ns(), fds), 0);
    turn();
    static char ghost[]        = "no-such-user-here";
    static char number[]       = "4294967294";
    clients[0].user            = number;
    clients[1].user            = ghost;
    config.lanes.clients_count = 3;
    assert_int_equal(door_opens(), ERR_CONFIG);
    assert_int_equal(door.uids[0], 4294967294u);
    assert_string_equal(err_msg(), "lanes.user of client quant is \"no-such-user-here\": there is no such user here");
    door_close(&door);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_lease_works),
        TEST(one_lease_a_client),
        TEST(a_client_is_paced),
        TEST(a_dead_holder_keeps_nobody_out),
        TEST(numbers_rise_over_a_new_door),
        TEST(numbers_rise_within_a_millisecond),
        TEST(what_was_just_given_is_not_given_again),
        TEST(while_it_is_being_given_it_is_not_given),
        TEST(refusals_name_client_uid_and_reason),
        TEST(no_engine_no_lease),
        TEST(hellos_that_are_none),
        TEST(silence_has_an_end),
        TEST(mails_wait_until_they_can_go),
        TEST(mails_of_two_leases_do_not_mix),
        TEST(a_flood_keeps_nobody_out),
        TEST(no_descriptor_left),
        TEST(another_users_client),
        TEST(the_socket_and_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
