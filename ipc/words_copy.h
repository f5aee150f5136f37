/* words_copy: copies and fences under a sequence word, in a form that ThreadSanitizer understands too.
 *
 * A reader of a broadcast ring or of a record copies bytes that may be overwritten meanwhile, and throws the copy away
 * when the sequence says so. That is a memcpy between fences: the compiler moves nothing over a fence, and no torn byte
 * is ever looked at. ThreadSanitizer does not know fences and would call it a race; there, and only there, the copy is
 * made of relaxed atomic accesses, and the fences are what keeps the order on the x86 that it runs on. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SANITIZE_THREAD__

static inline void words_copy(void *dst, const void *src, size_t bytes) /* both 8-aligned */
{
    size_t i = 0;
    for (; i + 8 <= bytes; i += 8) {
        __atomic_store_n((uint64_t *)((uint8_t *)dst + i),
                         __atomic_load_n((const uint64_t *)((const uint8_t *)src + i), __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
    }
    for (; i < bytes; i++) {
        __atomic_store_n((uint8_t *)dst + i, __atomic_load_n((const uint8_t *)src + i, __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
    }
}
static inline void words_fence_release(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}
static inline void words_fence_acquire(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}
static inline void words_fence_full(void)
{
    _Atomic uint32_t any = 0;
    atomic_fetch_add_explicit(&any, 1, memory_order_seq_cst); /* a locked instruction: nothing passes it */
}

#else

static inline void words_copy(void *dst, const void *src, size_t bytes) /* both 8-aligned */
{
    memcpy(dst, src, bytes);
}
static inline void words_fence_release(void)
{
    atomic_thread_fence(memory_order_release);
}
static inline void words_fence_acquire(void)
{
    atomic_thread_fence(memory_order_acquire);
}
static inline void words_fence_full(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

#endif
