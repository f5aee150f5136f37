#include "ipc/role_wait.h"

#include <assert.h>
#include <unistd.h>

void role_arm(role_ctx_t *ctx)
{
    doorbell_arm(&ctx->words->bells[ctx->role]);
}

bool role_wait(role_ctx_t *ctx, struct pollfd *fds, uint32_t count, int64_t timeout_ns)
{
    assert(count <= ROLE_WAIT_FDS);
    struct pollfd all[ROLE_WAIT_FDS + 2];
    const int     fifo = ctx->fifo[ctx->role];
    for (uint32_t i = 0; i < count; i++) {
        all[i]         = fds[i];
        all[i].revents = 0;
    }
    all[count]                    = (struct pollfd){.fd = fifo, .events = POLLIN};
    all[count + 1]                = (struct pollfd){.fd = ctx->ctl_fd, .events = POLLIN};
    const int64_t         wait_ns = timeout_ns > 0 ? timeout_ns : 0;
    const struct timespec timeout = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    const int             n       = ppoll(all, count + 2, &timeout, NULL);
    doorbell_disarm(&ctx->words->bells[ctx->role]);
    for (uint32_t i = 0; i < count; i++) {
        fds[i].revents = n > 0 ? all[i].revents : 0;
    }
    if (n > 0 && all[count].revents & POLLIN) {
        char          bytes[64];
        const ssize_t got =
            read(fifo, bytes, sizeof bytes); /* how many rang does not matter; the rest wakes us again */
        (void)got;
    }
    if (n != 0 && wait_ns > 0) {
        counter_add(ctx->counters, COUNTER_SLEEPS, 1);
    }
    return n > 0 && (all[count + 1].revents & POLLIN) != 0;
}
