#include "ipc/words.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ipc/words_copy.h"

uint32_t words_fence_raise(words_t *words, uint32_t epoch)
{
    uint32_t now = atomic_load_explicit(&words->fence_epoch, memory_order_acquire);
    while (now < epoch && !atomic_compare_exchange_weak_explicit(&words->fence_epoch, &now, epoch, memory_order_acq_rel,
                                                                 memory_order_acquire)) {
    }
    return now < epoch ? epoch : now;
}

void doorbell_ring(doorbell_t *bell, int fifo_fd)
{
    words_fence_full(); /* pairs with the fence in doorbell_arm: my message before my look, its flag before its look */
    if (atomic_load_explicit(&bell->asleep, memory_order_relaxed) == 0) {
        return;
    }
    atomic_fetch_add_explicit(&bell->word, 1, memory_order_release);
    if (fifo_fd < 0) {
        syscall(SYS_futex, &bell->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    } else {
        /* A full FIFO is awake already; nothing else can go wrong with one that everybody opened O_RDWR. */
        const ssize_t written = write(fifo_fd, "", 1);
        (void)written;
    }
}

uint32_t doorbell_arm(doorbell_t *bell)
{
    /* acquire: pairs with the release in doorbell_ring: what that bell was for is seen in the look that follows */
    const uint32_t word = atomic_load_explicit(&bell->word, memory_order_acquire);
    atomic_store_explicit(&bell->asleep, 1, memory_order_relaxed);
    words_fence_full();
    return word;
}

void doorbell_disarm(doorbell_t *bell)
{
    atomic_store_explicit(&bell->asleep, 0, memory_order_relaxed);
}

void doorbell_wait(doorbell_t *bell, uint32_t word, int64_t timeout_ns)
{
    const struct timespec timeout = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    syscall(SYS_futex, &bell->word, FUTEX_WAIT, word, timeout_ns < 0 ? NULL : &timeout, NULL, 0);
    doorbell_disarm(bell);
}

bool words_kill(words_t *words, scope_t scope, uint32_t id, bool on)
{
    if ((unsigned)scope > SCOPE_VENUE || id >= WORDS_KILL_IDS || (scope == SCOPE_GLOBAL && id != 0)) {
        return false;
    }
    _Atomic uint64_t *word = &words->kill_set[scope][id / 64];
    const uint64_t    bit  = 1ull << (id % 64);
    if (on) {
        atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
    } else {
        atomic_fetch_and_explicit(word, ~bit, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&words->kill_version, 1, memory_order_release); /* the engine's acquire of it pairs */
    return true;
}
