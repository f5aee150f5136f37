/* sim_role: the adapter of the simulated venue as a process: sleep, news and end for sim_adapter.h. */
#include "adapters/venues/sim/sim_adapter.h"
#include "core/types/time.h"
#include "ipc/role_wait.h"

#define HOUSEKEEP_NS (100 * NS_PER_MS)
#define SPIN_TURNS 64u
#define STUCK_NS (200 * NS_PER_US) /* there is work, but no room for it */

static void news(sim_t *sim, int64_t mono_ns)
{
    uint32_t    which = 0;
    role_news_t what;
    while ((what = role_news(sim->ctx, &which)) != ROLE_NEWS_NONE) {
        if (what == ROLE_NEWS_PEER) {
            sim_news(sim, (role_t)which, mono_ns);
        }
    }
}

/* Until something comes. What is in the ring although the turn did nothing has no room on; what came since has. */
static bool rest(sim_t *sim, uint32_t work, int64_t mono_ns)
{
    const bool stuck = work == 0 && sim_more(sim);
    role_arm(sim->ctx);
    const bool    busy   = sim->ctx->config->run.wait == WAIT_SPIN || work > 0 || (!stuck && sim_more(sim));
    const int64_t idle   = stuck ? STUCK_NS : sim_sleep_ns(sim, mono_ns);
    const short   in     = sim_reads(sim) ? POLLIN : 0;
    const short   out    = sim->link.out_at < sim->link.out_end ? POLLOUT : 0;
    struct pollfd socket = {.fd = sim->link.fd, .events = (short)(in | out)};
    return role_wait(sim->ctx, &socket, 1, busy ? 0 : idle);
}

int sim_main(role_ctx_t *ctx)
{
    static sim_t sim;
    int64_t      housekeep_mono_ns = 0;
    uint32_t     turns             = 0;
    if (sim_open(&sim, ctx, ctx->instance_dir) != ERR_OK) {
        return role_fail(ctx, err_msg());
    }
    const err_t err = role_sandbox(ctx);
    if (err != ERR_OK && err != ERR_UNSUPPORTED) {
        return role_fail(ctx, err_msg());
    }
    atomic_store_explicit(&ctx->control->spinning, ctx->config->run.wait == WAIT_SPIN, memory_order_relaxed);
    control_state(ctx->control, ROLE_RUN);
    int64_t mono_ns = role_mono_ns();
    while (!role_stopping(ctx)) { /* in an orderly stop after the engine, which cancels through us */
        const uint32_t work = sim_turn(&sim, mono_ns);
        if (mono_ns >= housekeep_mono_ns) {
            news(&sim, mono_ns);
            sim_count(&sim);
            role_housekeep(ctx, mono_ns);
            housekeep_mono_ns = mono_ns + HOUSEKEEP_NS;
        }
        if (work > 0 && ++turns % SPIN_TURNS != 0) { /* more is likely: look without a system call */
            mono_ns = role_mono_ns();
            continue;
        }
        if (rest(&sim, work, mono_ns)) {
            housekeep_mono_ns = 0;
        }
        mono_ns = role_mono_ns();
    }
    sim_turn(&sim, mono_ns); /* what the engine said last */
    sim_close(&sim);
    role_housekeep(ctx, mono_ns);
    control_state(ctx->control, ROLE_HALT);
    return 0;
}
