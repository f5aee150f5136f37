/* control: the page by which a process shows that it lives, in which state, and how far it is.
 *
 *            supervisor formats          role                     role, on stop                role: done, exit 0
 *   (zeroed) ─────────────────▶ BOOT ─▶ RECOVERING ─▶ RUN ──────────────────▶ STOPPING ──────────────────▶ HALT
 *                                 └──────────┴──────────┴───────▶ FAIL (its log says why; exit not 0)
 *
 * Written by the role alone, each word by itself (relaxed or release); read by anyone. A role that was killed leaves its
 * last state and an old heartbeat.
 * Clock    CLOCK_MONOTONIC of the machine, ns: comparable between processes, not over a reboot. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

typedef enum role_state {
    ROLE_STATE_NONE = 0,
    ROLE_BOOT,
    ROLE_RECOVERING,
    ROLE_RUN,
    ROLE_STOPPING,
    ROLE_HALT,
    ROLE_FAIL,
    ROLE_STATE_COUNT
} role_state_t;

typedef struct control_page {
    _Atomic uint32_t state; /* role_state_t */
    _Atomic uint32_t epoch; /* of ClOrdIDs that it works in: engine its own, adapters the newest one they obey */
    _Atomic int64_t  heartbeat_mono_ns;
    _Atomic int64_t  started_mono_ns;
    _Atomic uint64_t progress;     /* RECOVERING: records replayed; so that slow is not silent  */
    _Atomic uint64_t progress_all; /* of how many; 0 = not known                                */
    _Atomic uint64_t kill_seen;    /* engine: words_t.kill_version that has taken effect        */
    _Atomic int64_t  kill_mono_ns; /* and when                                                  */
    _Atomic uint32_t exit_code;
    _Atomic uint32_t spinning;    /* 1 = spin, 0 = adaptive */
    _Atomic int64_t  turn_max_ns; /* longest turn of its loop so far */
    uint8_t          pad[56];
} control_page_t;

_Static_assert(sizeof(control_page_t) == 128, "mapped by others: bump SEGMENT_VERSION");

static inline const char *role_state_str(uint32_t state)
{
    static const char *const names[ROLE_STATE_COUNT] = {"NONE",     "BOOT", "RECOVERING", "RUN",
                                                        "STOPPING", "HALT", "FAIL"};
    return state < ROLE_STATE_COUNT ? names[state] : "UNKNOWN";
}

static inline void control_state(control_page_t *page, role_state_t state)
{
    atomic_store_explicit(&page->state, (uint32_t)state, memory_order_release);
}
static inline void control_beat(control_page_t *page, int64_t mono_ns)
{
    atomic_store_explicit(&page->heartbeat_mono_ns, mono_ns, memory_order_relaxed);
}
