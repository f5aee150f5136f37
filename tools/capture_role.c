/* capture_role: the capture adapter as a process: sleep, news and end for live.h. */
#include "core/types/time.h"
#include "ipc/role_wait.h"
#include "tools/capture_live.h"

#define HOUSEKEEP_NS (100 * NS_PER_MS)
#define BEGIN_NS (5 * NS_PER_MS) /* between two looks for ids */

static void housekeep(live_t *live, int64_t mono_ns)
{
    uint32_t    which = 0;
    role_news_t what;
    while ((what = role_news(live->ctx, &which)) != ROLE_NEWS_NONE) {
        if (what == ROLE_NEWS_PEER && which == ROLE_ENGINE) {
            live_engine(live);
        } else if (what == ROLE_NEWS_PEER && which == ROLE_VENUE) {
            live_venue(live);
        }
    }
    role_housekeep(live->ctx, mono_ns);
}

int capture_main(role_ctx_t *ctx)
{
    static live_t live;
    int64_t       housekeep_mono_ns = 0, look_mono_ns = 0;
    if (live_open(&live, ctx) != ERR_OK) {
        return role_fail(ctx, err_msg());
    }
    const err_t err = role_sandbox(ctx);
    if (err != ERR_OK && err != ERR_UNSUPPORTED) {
        return role_fail(ctx, err_msg());
    }
    control_state(ctx->control, ROLE_RUN);
    while (!role_stopping(ctx)) {
        const int64_t mono_ns = role_mono_ns();
        live_turn(&live, mono_ns);
        if (mono_ns >= housekeep_mono_ns) {
            housekeep(&live, mono_ns);
            housekeep_mono_ns = mono_ns + HOUSEKEEP_NS;
        }
        if (mono_ns >= look_mono_ns) {
            live_look(&live, mono_ns);
            look_mono_ns = mono_ns + (live.begun ? HOUSEKEEP_NS : BEGIN_NS);
        }
        role_arm(ctx);
        if (role_wait(ctx, NULL, 0, live_sleep_ns(&live, role_mono_ns()))) {
            housekeep_mono_ns = 0;
        }
    }
    live_look(&live, role_mono_ns());
    live_close(&live);
    role_housekeep(ctx, role_mono_ns());
    control_state(ctx->control, ROLE_HALT);
    return 0;
}
