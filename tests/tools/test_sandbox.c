/* Sandbox: after role_sandbox thirty things that a role has no business with fail, each with EPERM, in every role; what
 * the role needs goes on working. One process for each role: a filter cannot be taken off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/sandbox.h"

typedef struct attempt {
    const char *name;
    long        call;
    long        arg[4];
} attempt_t;

#define PATH(text) ((long)(intptr_t)(text))

static uint32_t attempts_stopped(void)
{
    const attempt_t attempts[] = {
        {"open", SYS_open, {PATH("/etc/passwd"), O_RDONLY}},
        {"openat", SYS_openat, {AT_FDCWD, PATH("/etc/passwd"), O_RDONLY}},
        {"openat2", SYS_openat2, {AT_FDCWD, PATH("/etc/passwd")}},
        {"creat", SYS_creat, {PATH("/tmp/hwal_sandbox"), 0600}},
        {"truncate", SYS_truncate, {PATH("/tmp/hwal_sandbox"), 0}},
        {"unlink", SYS_unlink, {PATH("/tmp/hwal_sandbox")}},
        {"rename", SYS_rename, {PATH("/tmp/hwal_a"), PATH("/tmp/hwal_b")}},
        {"mkdir", SYS_mkdir, {PATH("/tmp/hwal_sandbox"), 0700}},
        {"symlink", SYS_symlink, {PATH("/tmp"), PATH("/tmp/hwal_sandbox")}},
        {"chmod", SYS_chmod, {PATH("/tmp"), 0777}},
        {"chown", SYS_chown, {PATH("/tmp"), 0, 0}},
        {"execve", SYS_execve, {PATH("/bin/true")}},
        {"execveat", SYS_execveat, {AT_FDCWD, PATH("/bin/true")}},
        {"fork", SYS_fork, {0}},
        {"clone", SYS_clone, {0}},
        {"clone3", SYS_clone3, {0}},
        {"ptrace", SYS_ptrace, {0}},
        {"process_vm_readv", SYS_process_vm_readv, {1}},
        {"kill", SYS_kill, {1, 0}},
        {"tgkill of others", SYS_tgkill, {1, 1, 0}},
        {"socket AF_INET", SYS_socket, {AF_INET, SOCK_STREAM, 0}},
        {"bind", SYS_bind, {0}},
        {"listen", SYS_listen, {0}},
        {"mmap for execution", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS}},
        {"mprotect", SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}},
        {"io_uring_setup", SYS_io_uring_setup, {8}},
        {"setuid", SYS_setuid, {0}},
        {"unshare", SYS_unshare, {CLONE_NEWUSER}},
        {"mount", SYS_mount, {0}},
        {"bpf", SYS_bpf, {0}},
        {"perf_event_open", SYS_perf_event_open, {0}},
        {"memfd_create", SYS_memfd_create, {PATH("x"), 0}},
    };
    uint32_t stopped = 0;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        const attempt_t *a = &attempts[i];
        errno              = 0;
        const long rc      = syscall(a->call, a->arg[0], a->arg[1], a->arg[2], a->arg[3], 0, 0);
        if (rc == -1 && errno == EPERM) {
            stopped++;
        } else {
            dprintf(STDERR_FILENO, "%s: returned %ld, %s\n", a->name, rc, strerror(errno));
        }
    }
    return stopped == sizeof attempts / sizeof attempts[0] ? 0 : 1;
}

static bool needs_work(role_t role, int fd)
{
    const struct timespec nap  = {.tv_nsec = 1000};
    uint32_t              word = 1;
    bool                  ok   = syscall(SYS_futex, &word, FUTEX_WAIT, 2, NULL, NULL, 0) == -1 && errno == EAGAIN;
    ok &= clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL) == 0;
    void *peer = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    ok &= peer != MAP_FAILED && munmap(peer, 4096) == 0;
    ok &= syscall(SYS_write, STDERR_FILENO, "", 0) == 0;
    errno           = 0;
    const int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ok &= role == ROLE_SIM ? local >= 0 : local < 0 && errno == EPERM; /* the others have no use for one */
    if (role != ROLE_CAPTURE) {
        errno              = 0;
        const void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ok &= role == ROLE_ENGINE ? shared != MAP_FAILED : shared == MAP_FAILED && errno == EPERM;
        errno = 0;
        ok &= mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EPERM;
    }
    ok &= close(fd) == 0;
    return ok;
}

/* The memory of a lane and nothing more: sealed, shared, never code; its client asked after; its bells waited for. */
static bool lane_works(role_t role, int fd, int link)
{
    const int    prot = PROT_READ | PROT_WRITE;
    struct ucred peer;
    socklen_t    len = sizeof peer;
    char         byte;
    bool         ok  = true;
    errno            = 0;
    const long seals = fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
    ok &= role == ROLE_ENGINE ? seals == 0 : seals == -1 && (errno == EPERM || errno == EACCES);
    errno           = 0;
    const long wait = syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0); /* of nothing: EINVAL */
    ok &= wait == -1 && (role == ROLE_ENGINE ? errno == EINVAL || errno == ENOSYS : errno == EPERM);
    if (role != ROLE_ENGINE) {
        return ok;
    }
    ok &= fcntl(fd, F_GET_SEALS) == F_SEAL_SHRINK;
    ok &= getsockopt(link, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0;
    ok &= recv(link, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1 && (errno == EAGAIN || errno == EWOULDBLOCK);
    errno = 0;
    ok &= mmap(NULL, 4096, prot | PROT_EXEC, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM;
    errno = 0;
    ok &= mmap(NULL, 4096, prot, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EPERM;
    errno = 0;
    ok &= mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EPERM;
    errno = 0;
    ok &= fcntl(fd, F_DUPFD, 0) == -1 && errno == EPERM;
    return ok;
}

static void test_thirty_calls_are_stopped(void **state)
{
    (void)state;
    for (role_t role = ROLE_ENGINE; role < ROLE_COUNT; role++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            const int fd = memfd_create("peer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
            int       link[2];
            if (ftruncate(fd, 4096) != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) != 0 ||
                sandbox_apply(role) != ERR_OK) {
                _exit(77);
            }
            const bool ok = attempts_stopped() == 0 && lane_works(role, fd, link[0]) && needs_work(role, fd);
            syscall(SYS_exit_group, ok ? 0 : 1);
        }
        int status;
        waitpid(child, &status, 0);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77) {
            print_message("SKIP sandbox of %s: this kernel takes no filter\n", topology_role_name(role));
            continue;
        }
        if (WEXITSTATUS(status) != 0) {
            fail_msg("%s: see above", topology_role_name(role));
        }
    }
}

/* An assertion still says where it failed, and ends the process. */
static void test_abort_works_inside(void **state)
{
    (void)state;
    const pid_t child = fork();
    if (child == 0) {
        if (sandbox_apply(ROLE_ENGINE) != ERR_OK) {
            _exit(77);
        }
        abort();
    }
    int status;
    waitpid(child, &status, 0);
    assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) || WEXITSTATUS(status) == 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thirty_calls_are_stopped),
        cmocka_unit_test(test_abort_works_inside),
    };
    if (!sandbox_here()) {
        printf("SKIP sandbox: this build's sanitizer makes system calls of its own\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
