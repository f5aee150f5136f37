/* hash: the running hash of outputs and the hash of state, by which two runs, two builds and a live engine and its
 * replay are compared.
 *
 * Fields are hashed, not memory: a record without padding (msg.h) may be given whole; state is given field by field.
 * XXH3 (xxhash library) seeded with the hash so far, so the order of calls matters and the result does not depend on
 * compiler, alignment or what lay in unused bytes. Not cryptographic: it finds divergence, not forgery. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/types/num.h"

/* hash_bytes: hash so far continued with len bytes. ~5-15 ns for the records of msg.h. */
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len);

/* hash_words: continued with a record of whole words whose number the compiler knows: unrolled, ~2 ns. Two words at a time
 * are multiplied to 128 bits and folded, each with a key of its place, as XXH3 and wyhash do with short inputs; the hash so
 * far is in every key. Of another family than hash_bytes: the same bytes give another number. Any alignment. */
static inline __attribute__((always_inline)) uint64_t hash_words(uint64_t hash, const void *words, size_t count)
{
    const unsigned char *at  = (const unsigned char *)words;
    uint64_t             sum = hash ^ count * 0x9e3779b185ebca87u, key = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < count; i += 2) {
        uint64_t pair[2] = {0, count};
        memcpy(pair, at + i * sizeof(uint64_t), i + 1 < count ? sizeof pair : sizeof pair[0]);
        const u128_t product = (u128_t)(pair[0] ^ (key + hash)) * (pair[1] ^ (key * 0xd6e8feb86659fd93u - hash));
        sum += (uint64_t)product ^ (uint64_t)(product >> 64);
        key += 0xbea225f9eb34556du;
    }
    sum ^= sum >> 37; /* what follows takes it as part of a key: every bit is to count */
    sum *= 0x165667919e3779f9u;
    return sum ^ sum >> 32;
}

/* hash_u64: continued with one field. */
uint64_t               hash_u64(uint64_t hash, uint64_t field);
static inline uint64_t hash_i64(uint64_t hash, int64_t field)
{
    return hash_u64(hash, (uint64_t)field);
}
