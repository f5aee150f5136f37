#include "tools/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tools/state_dir.h"

#define FILES_MAX 512u

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Everything above stderr that is not kept is closed, the gaps between what is kept, with one call each. */
static void descriptors_keep(const role_ctx_t *ctx, int lock_fd)
{
    int      keep[ROLE_FILES_MAX + ROLE_COUNT + 2];
    uint32_t n = 0;
    keep[n++]  = lock_fd;
    keep[n++]  = ctx->ctl_fd;
    for (uint32_t i = 0; i < ROLE_COUNT; i++) {
        keep[n++] = ctx->fifo[i];
    }
    for (uint32_t i = 0; i < ctx->file_count; i++) {
        keep[n++] = ctx->files[i].fd;
    }
    qsort(keep, n, sizeof *keep, by_value);
    unsigned from = STDERR_FILENO + 1;
    for (uint32_t i = 0; i < n; i++) {
        if (keep[i] >= (int)from) {
            if ((unsigned)keep[i] > from) {
                close_range(from, (unsigned)keep[i] - 1, 0);
            }
            from = (unsigned)keep[i] + 1;
        }
    }
    close_range(from, ~0u, 0);
}

/* Their descriptors are closed; the mappings stay. */
static void segments_forget(role_ctx_t *ctx)
{
    ctx->own.fd = ctx->words_segment.fd = -1;
    for (uint32_t i = 0; i < ROLE_COUNT; i++) {
        ctx->peer[i].fd = ctx->peer_before[i].fd = -1;
    }
}

static void limit(int what, rlim_t to)
{
    const struct rlimit value = {to, to};
    setrlimit((__rlimit_resource_t)what, &value);
}

/* Root or not, no privilege is left; what cannot be taken away was not there. */
static void privileges_drop(const role_ctx_t *ctx)
{
    struct __user_cap_header_struct head    = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct   none[2] = {{0}};
    for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    syscall(SYS_capset, &head, none);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, FILES_MAX);
    if (ctx->role == ROLE_ENGINE) {
        limit(RLIMIT_NPROC, 0); /* not the others: the kernel counts the workers of an io_uring as theirs */
    }
}

static void pin(role_ctx_t *ctx, int64_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu >= 0) {
        CPU_SET((size_t)cpu, &set);
        if (sched_setaffinity(0, sizeof set, &set) != 0) {
            log_write(&ctx->log, LOG_WARN, "cannot run on CPU %d alone: %s: goes on, on any", (int)cpu,
                      strerror(errno));
        }
    }
}

static _Noreturn void child(const spawn_t *spawn, int go)
{
    role_ctx_t *ctx = spawn->ctx;
    char        name[32];
    int         lock_fd = -1;
    if (read(go, name, 1) != 1) {
        _exit(0); /* nobody knows of us */
    }
    setsid();
    umask(077);
    role_signals();
    snprintf(name, sizeof name, "hwal:%s", topology_role_name(ctx->role));
    prctl(PR_SET_NAME, name, 0, 0, 0);
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    snprintf(name, sizeof name, "%s.lock", topology_role_name(ctx->role));
    const err_t locked = state_dir_lock(spawn->dir_fd, name, &lock_fd);
    descriptors_keep(ctx, lock_fd);
    segments_forget(ctx);
    munmap(spawn->forget->head, spawn->forget->bytes);
    ctx->own.head->pid = getpid();
    if (role_join(ctx) != ERR_OK) {
        _exit(1);
    }
    atomic_store_explicit(&ctx->control->started_mono_ns, role_mono_ns(), memory_order_relaxed);
    control_beat(ctx->control, role_mono_ns());
    if (locked) {
        role_fail(ctx, err_msg());
        _exit(SPAWN_EXIT_LOCKED);
    }
    pin(ctx, spawn->cpu);
    privileges_drop(ctx);
    const int code = spawn->main(ctx);
    atomic_store_explicit(&ctx->control->exit_code, (uint32_t)code, memory_order_relaxed);
    _exit(code); /* not exit: what the supervisor had in its buffers is not ours to write */
}

void spawn_go(int go)
{
    const ssize_t put = write(go, "g", 1);
    (void)put; /* a child that is dead already is seen by its descriptor */
    close(go);
}

err_t spawn_role(const spawn_t *spawn, int32_t *pid, int *pid_fd, int *go)
{
    int         ends[2];
    const char *role = topology_role_name(spawn->ctx->role);
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_set(ERR_LIMIT, "%s: no pipe can be made: %s", role, strerror(errno));
    }
    const pid_t forked = fork();
    if (forked < 0) {
        const err_t err = err_set(ERR_LIMIT, "%s: no process can be made: %s", role, strerror(errno));
        close(ends[0]);
        close(ends[1]);
        return err;
    }
    if (forked == 0) {
        close(ends[1]);
        child(spawn, ends[0]);
    }
    close(ends[0]);
    *go     = ends[1];
    *pid    = forked;
    *pid_fd = (int)syscall(SYS_pidfd_open, forked, 0);
    if (*pid_fd < 0) {
        const err_t err = err_set(ERR_IO, "%s: its process cannot be watched: %s", role, strerror(errno));
        kill(forked, SIGKILL);
        close(ends[1]);
        return err;
    }
    return ERR_OK;
}
