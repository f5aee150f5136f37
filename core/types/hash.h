/* hash: the running hash of outputs and the hash of state, by which two runs, two builds and a live engine and its
 * replay are compared.
 *
 * Fields are hashed, not memory: a record without padding (msg.h) may be given whole; state is given field by field.
 * XXH3 (xxhash library) seeded with the hash so far, so the order of calls matters and the result does not depend on
 * compiler, alignment or what lay in unused bytes. Not cryptographic: it finds divergence, not forgery. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* hash_bytes: hash so far continued with len bytes. ~5-15 ns for the records of msg.h. */
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len);

/* hash_u64: continued with one field. */
uint64_t               hash_u64(uint64_t hash, uint64_t field);
static inline uint64_t hash_i64(uint64_t hash, int64_t field)
{
    return hash_u64(hash, (uint64_t)field);
}
