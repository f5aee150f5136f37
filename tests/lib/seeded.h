/* seeded: what property tests share: a generator of their own, a seed from HWAL_SEED, payloads in which every word says
 * to which message it belongs, and a check that works in threads and in child processes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* MUST: as assert, but always on, and the end of the whole program: for threads and children, where cmocka cannot be. */
#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #cond);                                   \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static inline uint64_t seeded_next(uint64_t *x) /* splitmix64 */
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15ull);
    z          = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z          = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static inline uint64_t seeded_seed(const char *test)
{
    const char    *text = getenv("HWAL_SEED");
    const uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 1;
    printf("%s: HWAL_SEED=%llu\n", test, (unsigned long long)seed);
    return seed;
}

static inline uint64_t seeded_rounds(uint64_t rounds, uint64_t soak)
{
    return getenv("HWAL_SOAK") != NULL ? soak : rounds;
}

/* The i-th word of message n: any mixture of two messages shows. The length follows from n too. */
static inline uint64_t seeded_word(uint64_t n, uint32_t i)
{
    uint64_t x = n * 1000003u + i;
    return seeded_next(&x);
}

static inline uint32_t seeded_len(uint64_t n, uint32_t room) /* in bytes, a multiple of 8, at least one word */
{
    uint64_t x = n;
    return 8 * (1 + (uint32_t)(seeded_next(&x) % (room / 8)));
}

static inline void seeded_fill(void *payload, uint64_t n, uint32_t len)
{
    for (uint32_t i = 0; i < len / 8; i++) {
        ((uint64_t *)payload)[i] = seeded_word(n, i);
    }
}

static inline bool seeded_whole(const void *payload, uint64_t n, uint32_t len)
{
    for (uint32_t i = 0; i < len / 8; i++) {
        if (((const uint64_t *)payload)[i] != seeded_word(n, i)) {
            return false;
        }
    }
    return true;
}
