#include "tools/door.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/types/decimal.h"
#include "core/types/time.h"
#include "tools/mail.h"

#define DEAF_NS (100 * NS_PER_MS) /* without descriptors: the next try */
#define SEALS_LOOK_NS NS_PER_MS   /* seals ring no bell */

/* ---- words --------------------------------------------------------------------------------------------------------- */
static void say(door_t *door, log_level_t level, const char *text)
{
    if (door->cfg.say) {
        door->cfg.say(door->cfg.say_ctx, level, text);
    }
}

static void say_refused(door_t *door, int64_t now_ns, const char *text)
{
    if (now_ns - door->said_since_ns >= NS_PER_S) {
        if (door->unsaid) {
            char more[64];
            snprintf(more, sizeof more, "lanes: %u more leases were refused", door->unsaid);
            say(door, LOG_WARN, more);
        }
        door->said_since_ns = now_ns;
        door->said = door->unsaid = 0;
    }
    if (door->said == DOOR_SAID_MAX) {
        door->unsaid++;
        return;
    }
    door->said++;
    say(door, LOG_WARN, text);
}

/* ---- callers ------------------------------------------------------------------------------------------------------- */
static const char *client_name(const door_t *door, uint32_t lane_id)
{
    return door->cfg.config->lanes.clients[lane_id - 1].name;
}

static void caller_drop(door_caller_t *c)
{
    const int fds[] = {c->fd, c->cmd_fd, c->rsp_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    *c = (door_caller_t){.fd = -1, .cmd_fd = -1, .rsp_fd = -1};
}

/* The sentence of this thread goes to the caller and into the log. */
static void caller_refuse(door_t *door, door_caller_t *c, int64_t now_ns, err_t err)
{
    lane_welcome_t welcome = {.magic = LANE_WELCOME_MAGIC, .err = (uint32_t)err};
    snprintf(welcome.text, sizeof welcome.text, "%.*s", (int)sizeof welcome.text - 1, err_msg());
    const ssize_t sent = send(c->fd, &welcome, sizeof welcome, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent; /* who does not listen is refused all the same */
    say_refused(door, now_ns, welcome.text);
    caller_drop(c);
}

/* ---- hello --------------------------------------------------------------------------------------------------------- */
static bool name_plain(const char name[LANE_NAME_MAX + 1])
{
    const size_t len = strnlen(name, LANE_NAME_MAX + 1);
    return len >= 1 && len <= LANE_NAME_MAX &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static uint32_t lane_id_of(const door_t *door, const char *name)
{
    const config_lanes_t *lanes = &door->cfg.config->lanes;
    for (uint32_t i = 0; i < lanes->clients_count; i++) {
        if (strcmp(lanes->clients[i].name, name) == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* Does somebody hold it, or is it just given to somebody? */
static err_t held(const door_t *door, uint32_t lane_id, int64_t now_ns, const segment_t *engine)
{
    const lanes_page_t *page  = segment_part(engine, "lanes", SEGMENT_BLOB, sizeof *page);
    const door_given_t *given = &door->given[lane_id - 1];
    lane_t              lane  = {0};
    const bool          shown = page && lanes_page_read(page, lane_id, &lane);
    /* Of one that died the engine will hear soon: it looks when the next lease comes. */
    if (shown && lane.state == LANE_OPEN && (kill((pid_t)lane.pid, 0) == 0 || errno != ESRCH)) {
        return err_set(ERR_EXISTS, "pid %u of uid %u holds it", lane.pid, lane.uid);
    }
    if (given->at_ns && now_ns - given->at_ns < DOOR_WAIT_NS && !(shown && lane.lease >= given->lease)) {
        return err_set(ERR_EXISTS, "it was just given to another");
    }
    if (given->at_ns && now_ns - given->at_ns < DOOR_PACE_NS) { /* each is two records of the journal, and lines */
        return err_set(ERR_FULL, "it was leased %d ms ago, one lease in %d ms",
                       (int)((now_ns - given->at_ns) / NS_PER_MS), (int)(DOOR_PACE_NS / NS_PER_MS));
    }
    for (uint32_t i = 0; i < DOOR_CALLERS_MAX; i++) {
        if (door->callers[i].lane_id == lane_id) {
            return err_set(ERR_EXISTS, "it is just being given to pid %u of uid %u", door->callers[i].pid,
                           door->callers[i].uid);
        }
    }
    return ERR_OK;
}

static bool engine_runs(const segment_t *engine)
{
    const control_page_t *control = engine ? segment_part(engine, "control", SEGMENT_CONTROL, sizeof *control) : NULL;
    return control && atomic_load_explicit(&control->state, memory_order_acquire) == ROLE_RUN;
}

/* May it have what it asks for? The sentence is about the name. */
static err_t judge(const door_t *door, const door_caller_t *c, const lane_hello_t *hello, int64_t now_ns,
                   const segment_t *engine, uint32_t *lane_id)
{
    *lane_id = lane_id_of(door, hello->name);
    if (hello->layout_hash != segment_layout_hash()) {
        return err_set(ERR_UNSUPPORTED, "its layout is %016" PRIx64 ", this instance has %016" PRIx64,
                       hello->layout_hash, segment_layout_hash());
    }
    if (*lane_id == 0) {
        return err_set(ERR_NOT_FOUND, "lanes.clients has no such client");
    }
    const uint32_t uid = door->uids[*lane_id - 1];
    if (c->uid != uid) {
        return err_set(ERR_STATE, "it is uid %u's alone (lanes.clients.user)", uid);
    }
    if (!engine_runs(engine)) {
        return err_set(ERR_STATE, "the engine is not running now");
    }
    return held(door, *lane_id, now_ns, engine);
}

static uint64_t lease_new(door_t *door, int64_t now_ns, const segment_t *engine)
{
    const uint64_t lease = (uint64_t)engine->epoch << 40 | ((uint64_t)(now_ns / NS_PER_MS) & ((UINT64_C(1) << 40) - 1));
    door->lease          = lease > door->lease ? lease : door->lease + 1;
    return door->lease;
}

static void hello_take(door_t *door, door_caller_t *c, int64_t now_ns, const segment_t *engine)
{
    lane_hello_t  hello;
    uint32_t      lane_id;
    const ssize_t n = recv(c->fd, &hello, sizeof hello, MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (now_ns >= c->until_ns) {
            caller_refuse(door, c, now_ns,
                          err_set(ERR_AGAIN, "a client of uid %u said nothing within %d s", c->uid,
                                  (int)(DOOR_WAIT_NS / NS_PER_S)));
        }
        return;
    }
    if (n <= 0) {
        caller_drop(c); /* it went away */
        return;
    }
    if (n != sizeof hello || hello.magic != LANE_HELLO_MAGIC || !name_plain(hello.name)) {
        caller_refuse(
            door, c, now_ns,
            err_set(ERR_PARSE, "a client of uid %u said %zd bytes that are no request for a lane", c->uid, n));
        return;
    }
    err_t err = judge(door, c, &hello, now_ns, engine, &lane_id);
    err       = err ? err : lane_make((uint32_t)door->cfg.config->lanes.slots, &c->cmd_fd, &c->rsp_fd);
    if (err) {
        caller_refuse(door, c, now_ns, err_wrap(err, "lane of client %s, asked for by uid %u", hello.name, c->uid));
        return;
    }
    c->lane_id  = lane_id;
    c->gen      = engine->gen;
    c->lease    = lease_new(door, now_ns, engine);
    c->until_ns = now_ns + DOOR_WAIT_NS;
}

/* ---- to the engine, and to the client -------------------------------------------------------------------------------- */
/* The engine puts together what belongs to one lease, and takes leases in the order of their numbers: mails of one are not
 * begun before those of every older one are out. */
static bool mails_may(const door_t *door, const door_caller_t *c)
{
    for (uint32_t i = 0; i < DOOR_CALLERS_MAX; i++) {
        const door_caller_t *other = &door->callers[i];
        if (other->lane_id != 0 && other->mails < 3 && other->lease < c->lease) {
            return false;
        }
    }
    return true;
}

static void mails_send(door_t *door, door_caller_t *c)
{
    static const role_file_kind_t kinds[] = {ROLE_FILE_LANE_CMD, ROLE_FILE_LANE_RSP, ROLE_FILE_LANE_LINK};
    const int                     fds[]   = {c->cmd_fd, c->rsp_fd, c->fd};
    const uint32_t                before  = c->mails;
    while (c->mails < 3 && mails_may(door, c)) {
        const role_mail_t mail = {
            .magic = ROLE_MAIL_MAGIC, .file = kinds[c->mails], .number = c->lease << 8 | c->lane_id};
        if (!mail_send(door->cfg.mail_fd, door->cfg.dir_fd, ROLE_ENGINE, &mail, fds[c->mails])) {
            break;
        }
        c->mails++;
    }
    if (c->mails > before) { /* also of some: it makes room for the rest */
        atomic_fetch_add_explicit(&door->cfg.words->engine_mail, 1, memory_order_release);
        doorbell_ring(&door->cfg.words->bells[ROLE_ENGINE], -1);
    }
}

static bool welcome_send(const door_caller_t *c)
{
    lane_welcome_t welcome = {.magic = LANE_WELCOME_MAGIC};
    const int      fds[2]  = {c->cmd_fd, c->rsp_fd};
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
    return sendmsg(c->fd, &head, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof welcome;
}

/* Somebody who may have a lane: the engine must take it, then it is welcome. */
static void lease_go_on(door_t *door, door_caller_t *c, int64_t now_ns, const segment_t *engine)
{
    const char *name = client_name(door, c->lane_id);
    char        text[160];
    if (!engine || engine->gen != c->gen) {
        caller_refuse(door, c, now_ns,
                      err_set(ERR_STATE, "lane of client %s, asked for by uid %u: the engine ended", name, c->uid));
        return;
    }
    mails_send(door, c);
    if (c->mails == 3 && lane_sealed(c->rsp_fd)) {
        door->given[c->lane_id - 1] = (door_given_t){.lease = c->lease, .at_ns = now_ns};
        snprintf(text, sizeof text, "lane of client %s is leased to pid %u of uid %u%s", name, c->pid, c->uid,
                 welcome_send(c) ? "" : ", which went away meanwhile");
        say(door, LOG_INFO, text);
        caller_drop(c);
    } else if (now_ns >= c->until_ns) {
        caller_refuse(door, c, now_ns,
                      err_set(ERR_AGAIN,
                              "lane of client %s, asked for by uid %u: the engine did not take it within %d s", name,
                              c->uid, (int)(DOOR_WAIT_NS / NS_PER_S)));
    }
}

/* ---- the door -------------------------------------------------------------------------------------------------------- */
/* A free place, else that of the one who has been silent longest; those who are not are at most ENGINE_LANES_MAX. */
static door_caller_t *place_for(door_t *door, int64_t now_ns)
{
    door_caller_t *oldest = NULL;
    for (uint32_t i = 0; i < DOOR_CALLERS_MAX; i++) {
        door_caller_t *c = &door->callers[i];
        if (c->fd < 0) {
            return c;
        }
        if (c->lane_id == 0 && (!oldest || c->until_ns < oldest->until_ns)) {
            oldest = c;
        }
    }
    assert(oldest);
    caller_refuse(door, oldest, now_ns,
                  err_set(ERR_LIMIT, "a client of uid %u said nothing, and others want its place", oldest->uid));
    return oldest;
}

static void callers_accept(door_t *door, int64_t now_ns)
{
    for (uint32_t i = 0; i < DOOR_CALLERS_MAX && now_ns >= door->deaf_until_ns; i++) {
        struct ucred who = {0};
        socklen_t    len = sizeof who;
        const int    fd  = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
                char text[128];
                snprintf(text, sizeof text, "%s: no caller is let in for now: %s", LANE_SOCKET, strerror(errno));
                say_refused(door, now_ns, text);
                door->deaf_until_ns = now_ns + DEAF_NS;
            }
            return;
        }
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0) {
            close(fd);
            continue;
        }
        *place_for(door, now_ns) = (door_caller_t){.fd       = fd,
                                                   .cmd_fd   = -1,
                                                   .rsp_fd   = -1,
                                                   .uid      = who.uid,
                                                   .pid      = (uint32_t)who.pid,
                                                   .until_ns = now_ns + DOOR_WAIT_NS};
    }
}

void door_turn(door_t *door, int64_t now_ns, const segment_t *engine)
{
    if (door->fd < 0) {
        return;
    }
    callers_accept(door, now_ns);
    for (uint32_t i = 0; i < DOOR_CALLERS_MAX; i++) {
        door_caller_t *c = &door->callers[i];
        if (c->fd >= 0 && c->lane_id == 0) {
            hello_take(door, c, now_ns, engine);
        }
        if (c->fd >= 0 && c->lane_id != 0) {
            lease_go_on(door, c, now_ns, engine);
        }
    }
}

uint32_t door_poll(const door_t *door, int64_t now_ns, struct pollfd *fds)
{
    uint32_t n = 0;
    if (door->fd >= 0 && now_ns >= door->deaf_until_ns) {
        fds[n++] = (struct pollfd){.fd = door->fd, .events = POLLIN};
    }
    for (uint32_t i = 0; i < DOOR_CALLERS_MAX; i++) {
        if (door->callers[i].fd >= 0 && door->callers[i].lane_id == 0) {
            fds[n++] = (struct pollfd){.fd = door->callers[i].fd, .events = POLLIN};
        }
    }
    return n;
}

int64_t door_wait_ns(const door_t *door, int64_t wait_ns)
{
    for (uint32_t i = 0; i < DOOR_CALLERS_MAX; i++) {
        if (door->callers[i].lane_id != 0 && wait_ns > SEALS_LOOK_NS) {
            return SEALS_LOOK_NS;
        }
    }
    return wait_ns;
}

static err_t user_find(const config_client_t *client, uint32_t *uid)
{
    const size_t len    = strlen(client->user);
    int64_t      number = geteuid();
    if (strspn(client->user, "0123456789") < len) {
        const struct passwd *user = getpwnam(client->user);
        if (!user) {
            return err_set(ERR_CONFIG, "lanes.user of client %s is \"%s\": there is no such user here", client->name,
                           client->user);
        }
        number = user->pw_uid;
    } else if (len > 0) {
        const err_t err = decimal_parse(client->user, len, 0, &number); /* tools/config.c has looked at its range */
        if (err) {
            return err_wrap(err, "lanes.user of client %s", client->name);
        }
    }
    *uid = (uint32_t)number;
    return ERR_OK;
}

err_t door_open(door_t *door, const door_cfg_t *cfg)
{
    const config_lanes_t *lanes = &cfg->config->lanes;
    *door                       = (door_t){.cfg = *cfg, .fd = -1};
    for (uint32_t i = 0; i < DOOR_CALLERS_MAX; i++) {
        door->callers[i].fd = -1;
    }
    for (uint32_t i = 0; i < lanes->clients_count; i++) {
        const err_t err = user_find(&lanes->clients[i], &door->uids[i]);
        if (err) {
            return err;
        }
    }
    if (lanes->clients_count == 0) {
        unlinkat(cfg->dir_fd, LANE_SOCKET, 0); /* of an instance that had some */
        return ERR_OK;
    }
    door->fd = mail_bind(cfg->dir_fd, cfg->dir, SOCK_SEQPACKET, LANE_SOCKET, 0660);
    return door->fd >= 0 ? ERR_OK : ERR_IO;
}

void door_close(door_t *door)
{
    if (door->fd < 0) {
        return;
    }
    for (uint32_t i = 0; i < DOOR_CALLERS_MAX; i++) {
        door_caller_t *c = &door->callers[i];
        if (c->fd >= 0) {
            caller_refuse(door, c, door->said_since_ns,
                          err_set(ERR_STATE, "a client of uid %u: the supervisor ends", c->uid));
        }
    }
    close(door->fd);
    unlinkat(door->cfg.dir_fd, LANE_SOCKET, 0);
    door->fd = -1;
}
