#include "ipc/role.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static atomic_bool terminated; /* SIGTERM came */

static void on_term(int signal_number)
{
    (void)signal_number;
    atomic_store_explicit(&terminated, true, memory_order_relaxed);
}

void role_signals(void)
{
    static const int       ignored[] = {SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGTTOU, SIGTTIN};
    const struct sigaction term = {.sa_handler = on_term}, ignore = {.sa_handler = SIG_IGN};
    sigset_t               none;
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        sigaction(ignored[i], &ignore, NULL);
    }
    sigaction(SIGTERM, &term, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

err_t role_join(role_ctx_t *ctx)
{
    const char *role  = topology_role_name(ctx->role);
    size_t      bytes = 0, log_bytes = 0;
    ctx->control  = segment_find(&ctx->own, "control", SEGMENT_CONTROL, &bytes);
    ctx->counters = segment_find(&ctx->own, "counters", SEGMENT_COUNTERS, &bytes);
    ctx->cursors  = segment_find(&ctx->own, "cursors", SEGMENT_CURSORS, &bytes);
    void *log     = segment_find(&ctx->own, "log", SEGMENT_BROADCAST, &log_bytes);
    ctx->words    = segment_find(&ctx->words_segment, "words", SEGMENT_WORDS, &bytes);
    if (!ctx->control || !ctx->counters || !ctx->cursors || !log || !ctx->words) {
        return err_set(ERR_INTERNAL, "%s: its segment lacks an object", role);
    }
    const err_t err = ring_writer_join(&ctx->log.ring, log, log_bytes);
    return err ? err_wrap(err, "%s: log", role) : ERR_OK;
}

/* ---- news -------------------------------------------------------------------------------------------------------- */
static role_news_t take_peer(role_ctx_t *ctx, const role_mail_t *mail, int fd, uint32_t *which)
{
    segment_t segment;
    err_t     err = ERR_OK;
    if (mail->role >= ROLE_COUNT) {
        err = err_set(ERR_ARG, "there are %u roles", (unsigned)ROLE_COUNT);
        close(fd);
    }
    err = err ? err : segment_open_fd(fd, getuid(), false, &segment);
    if (err) {
        log_write(&ctx->log, LOG_WARN, "%s: news of role %u, generation %u, cannot be used: %s",
                  topology_role_name(ctx->role), mail->role, mail->gen, err_msg());
        return ROLE_NEWS_NONE;
    }
    const segment_t *now = &ctx->peer[mail->role];
    if (now->head && now->gen >= segment.gen) { /* an adopting supervisor tells what we know */
        segment_close(&segment);
        return ROLE_NEWS_NONE;
    }
    segment_close(&ctx->peer_before[mail->role]);
    ctx->peer_before[mail->role] = ctx->peer[mail->role];
    ctx->peer[mail->role]        = segment;
    *which                       = mail->role;
    return ROLE_NEWS_PEER;
}

static role_news_t take_file(role_ctx_t *ctx, const role_mail_t *mail, int fd, uint32_t *which)
{
    uint32_t i = 0;
    while (i < ctx->file_count && ctx->files[i].fd >= 0) {
        i++;
    }
    if (i == ROLE_FILES_MAX) {
        log_write(&ctx->log, LOG_ERROR, "%s: more than %u files", topology_role_name(ctx->role), ROLE_FILES_MAX);
        close(fd);
        return ROLE_NEWS_NONE;
    }
    ctx->files[i]   = (role_file_t){.fd = fd, .kind = mail->file, .number = mail->number};
    ctx->file_count = i < ctx->file_count ? ctx->file_count : i + 1;
    *which          = i;
    return ROLE_NEWS_FILE;
}

/* One mail; *more: there was one, be it none that can be used. */
static role_news_t take_mail(role_ctx_t *ctx, uint32_t *which, bool *more)
{
    role_mail_t mail = {0};
    union {
        struct cmsghdr align;
        char           bytes[CMSG_SPACE(sizeof(int))];
    } control            = {0};
    struct iovec  part   = {.iov_base = &mail, .iov_len = sizeof mail};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    const ssize_t n = recvmsg(ctx->ctl_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    *more           = n >= 0;
    if (n < 0) {
        return ROLE_NEWS_NONE;
    }
    const struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    int                   fd     = -1;
    if (rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS &&
        rights->cmsg_len == CMSG_LEN(sizeof fd)) {
        memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    }
    if (fd < 0) {
        return ROLE_NEWS_NONE;
    }
    if (n != sizeof mail || mail.magic != ROLE_MAIL_MAGIC) {
        close(fd);
        return ROLE_NEWS_NONE;
    }
    return mail.file == ROLE_FILE_NONE ? take_peer(ctx, &mail, fd, which) : take_file(ctx, &mail, fd, which);
}

/* What cannot be used, and what is known already, hides nothing that lies behind it. */
role_news_t role_news(role_ctx_t *ctx, uint32_t *which)
{
    role_news_t news = ROLE_NEWS_NONE;
    for (bool more = true; more && news == ROLE_NEWS_NONE;) {
        news = take_mail(ctx, which, &more);
    }
    return news;
}

/* ---- stopping ----------------------------------------------------------------------------------------------------- */
uint32_t role_stop_step(role_t role)
{
    return role == ROLE_ENGINE ? 1 : role == ROLE_VENUE ? 3 : 2;
}

/* ---- the small things --------------------------------------------------------------------------------------------- */
bool role_stopping(const role_ctx_t *ctx)
{
    return atomic_load_explicit(&terminated, memory_order_relaxed) ||
           atomic_load_explicit(&ctx->words->stop, memory_order_acquire) >= role_stop_step(ctx->role);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t role_mono_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t role_utc_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

void role_housekeep(role_ctx_t *ctx, int64_t mono_ns)
{
    const int64_t before = atomic_load_explicit(&ctx->control->heartbeat_mono_ns, memory_order_relaxed);
    if (before && mono_ns - before > atomic_load_explicit(&ctx->control->turn_max_ns, memory_order_relaxed)) {
        atomic_store_explicit(&ctx->control->turn_max_ns, mono_ns - before, memory_order_relaxed);
    }
    control_beat(ctx->control, mono_ns);
    log_flush(&ctx->log, mono_ns);
}

void role_bell(role_ctx_t *ctx, role_t role)
{
    doorbell_ring(&ctx->words->bells[role], ctx->fifo[role]);
}

int role_fail(role_ctx_t *ctx, const char *what)
{
    log_write(&ctx->log, LOG_ERROR, "%s", what);
    log_flush(&ctx->log, role_mono_ns());
    atomic_store_explicit(&ctx->control->exit_code, 1, memory_order_relaxed);
    control_state(ctx->control, ROLE_FAIL);
    return 1;
}
