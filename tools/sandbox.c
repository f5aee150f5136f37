#include "tools/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/role.h"

#define E (1u << ROLE_ENGINE)
#define J (1u << ROLE_JOURNAL)
#define S (1u << ROLE_SIM)
#define V (1u << ROLE_VENUE)
#define C (1u << ROLE_CAPTURE)
#define ALL (E | J | S | V | C)

typedef enum condition {
    ANY = 0,
    NOT_WRITABLE, /* mmap: read-only segments of new peers */
    SHARED,       /* mmap: the memory of a lane, which is a file, never code */
    NOT_EXEC,     /* mmap: buffers of a library */
    BY_FD,        /* newfstatat: of a descriptor, not of a name */
    UNIX,         /* socket: AF_UNIX */
    SELF,         /* tgkill: this process, for an assertion's abort */
    BLOCKING,     /* fcntl: F_GETFL, F_SETFL */
    SEALS         /* fcntl: F_GET_SEALS, F_ADD_SEALS */
} condition_t;

/* clang-format off */
static const struct rule {
    int         call;
    uint32_t    roles;
    condition_t condition;
} rules[] = {
    /* waiting and waking, time, the way out */
    {SCMP_SYS(futex),            ALL,               ANY},
    {SCMP_SYS(clock_gettime),    ALL,               ANY}, /* where there is no vDSO */
    {SCMP_SYS(clock_nanosleep),  ALL,               ANY},
    {SCMP_SYS(restart_syscall),  ALL,               ANY}, /* a wait goes on after SIGCONT */
    {SCMP_SYS(rt_sigreturn),     ALL,               ANY},
    {SCMP_SYS(exit_group),       ALL,               ANY},
    {SCMP_SYS(exit),             ALL,               ANY},
    {SCMP_SYS(write),            ALL,               ANY}, /* bells, stderr, snapshot */
    /* assertions */
    {SCMP_SYS(rt_sigprocmask),   ALL,               ANY},
    {SCMP_SYS(getpid),           ALL,               ANY},
    {SCMP_SYS(gettid),           ALL,               ANY},
    {SCMP_SYS(tgkill),           ALL,               SELF},
    /* news of the supervisor: a descriptor, mapped read-only */
    {SCMP_SYS(recvmsg),          ALL,               ANY},
    {SCMP_SYS(fstat),            ALL,               ANY},
    {SCMP_SYS(newfstatat),       ALL,               BY_FD},
    {SCMP_SYS(mmap),             E | J | S | V,     NOT_WRITABLE},
    {SCMP_SYS(mmap),             E,                 SHARED},
    {SCMP_SYS(mmap),             C,                 NOT_EXEC}, /* gzip */
    {SCMP_SYS(munmap),           ALL,               ANY},
    {SCMP_SYS(close),            ALL,               ANY},
    {SCMP_SYS(getuid),           ALL,               ANY},
    /* lanes: files come as news; who is at the other end, and does he live? */
    {SCMP_SYS(futex_waitv),      E,                 ANY},
    {SCMP_SYS(fcntl),            E,                 SEALS},
    /* files that are open */
    {SCMP_SYS(pwrite64),         E | J,             ANY},
    {SCMP_SYS(fsync),            E | J,             ANY},
    {SCMP_SYS(fdatasync),        E | J,             ANY},
    {SCMP_SYS(ftruncate),        E,                 ANY}, /* snapshot */
    {SCMP_SYS(pread64),          J | C,             ANY},
    {SCMP_SYS(io_uring_enter),   J,                 ANY}, /* its ring restricts itself */
    {SCMP_SYS(io_uring_register),J,                 ANY},
    {SCMP_SYS(read),             J | S | V | C,     ANY},
    {SCMP_SYS(lseek),            C,                 ANY},
    {SCMP_SYS(brk),              C,                 ANY},
    /* sleeping on descriptors, talking over UNIX sockets */
    {SCMP_SYS(poll),             J | S | V | C,     ANY},
    {SCMP_SYS(ppoll),            J | S | V | C,     ANY},
    {SCMP_SYS(socket),           S,                 UNIX},
    {SCMP_SYS(connect),          S,                 ANY},
    {SCMP_SYS(accept4),          V,                 ANY},
    {SCMP_SYS(sendmsg),          S | V,             ANY},
    {SCMP_SYS(sendto),           S | V,             ANY},
    {SCMP_SYS(recvfrom),         E | S | V,         ANY},
    {SCMP_SYS(getsockopt),       E | S | V,         ANY},
    {SCMP_SYS(setsockopt),       S | V,             ANY},
    {SCMP_SYS(shutdown),         S | V,             ANY},
    {SCMP_SYS(fcntl),            S | V,             BLOCKING},
};
/* clang-format on */

/* Allowed when the second argument is the one or the other. */
static int either(scmp_filter_ctx filter, int call, scmp_datum_t one, scmp_datum_t other)
{
    const int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, one));
    return rc ? rc : seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, other));
}

static int rule_add(scmp_filter_ctx filter, const struct rule *rule)
{
    const uint64_t writable = PROT_WRITE | PROT_EXEC;
    switch (rule->condition) {
    case ANY: return seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 0);
    case NOT_WRITABLE:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, writable, 0));
    case NOT_EXEC:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    case BY_FD:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 1,
                                SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
    case UNIX:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, AF_UNIX));
    case SELF:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)getpid()));
    case SHARED: /* of the type's bits SHARED alone, and not anonymous */
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                                SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_TYPE | MAP_ANONYMOUS, MAP_SHARED));
    case BLOCKING: return either(filter, rule->call, F_GETFL, F_SETFL);
    case SEALS: return either(filter, rule->call, F_GET_SEALS, F_ADD_SEALS);
    }
    return -EINVAL;
}

#if defined(__has_feature)
#define FEATURE(x) __has_feature(x)
#else
#define FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || FEATURE(address_sanitizer) ||                     \
    FEATURE(thread_sanitizer)
#define SANDBOX_HERE false
#else
#define SANDBOX_HERE true
#endif

bool sandbox_here(void)
{
    return SANDBOX_HERE;
}

err_t sandbox_apply(role_t role)
{
    if (!sandbox_here()) {
        return err_set(ERR_UNSUPPORTED, "no system call filter: this build's sanitizer makes calls of its own");
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return err_set(ERR_UNSUPPORTED, "no system call filter: no_new_privs: %s", strerror(errno));
    }
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int             rc     = filter ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < sizeof rules / sizeof rules[0]; i++) {
        rc = rules[i].roles & (1u << role) ? rule_add(filter, &rules[i]) : 0;
    }
    rc = rc ? rc : seccomp_load(filter);
    if (filter) {
        seccomp_release(filter);
    }
    return rc == 0 ? ERR_OK : err_set(ERR_UNSUPPORTED, "no system call filter: %s", strerror(-rc));
}

err_t role_sandbox(role_ctx_t *ctx)
{
    const err_t err = sandbox_apply(ctx->role);
    if (err) {
        log_write(&ctx->log, LOG_WARN, "%s", err_msg());
    }
    return err;
}
