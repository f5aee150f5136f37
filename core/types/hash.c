#define XXH_INLINE_ALL
#include "core/types/hash.h"

#include <xxhash.h>

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    return XXH3_64bits_withSeed(bytes, len, hash);
}

uint64_t hash_u64(uint64_t hash, uint64_t field)
{
    return XXH3_64bits_withSeed(&field, sizeof field, hash);
}
