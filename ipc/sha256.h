/* sha256: SHA-256 by libcrypto, in a file of its own because OpenSSL's headers and ours both have an ERR_STATE.
 *
 * One context a thread, made at its first use and kept, so one hash at a time. Fetching an algorithm from libcrypto 3
 * costs a microsecond, and the first time it opens files: a role calls sha256_begin once before its sandbox closes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32u

typedef struct evp_md_ctx_st sha256_t;

sha256_t *sha256_begin(void); /* drops what was begun before */
void      sha256_add(sha256_t *sha, const void *bytes, size_t len);
void      sha256_end(sha256_t *sha, uint8_t out[SHA256_BYTES]);
