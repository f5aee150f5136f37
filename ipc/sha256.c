#include "ipc/sha256.h"

#include <assert.h>
#include <openssl/evp.h>

/* SHA-256 is built into libcrypto and its contexts are memory: a failure is ours. */
static void must(int ok)
{
    assert(ok == 1);
    (void)ok;
}

sha256_t *sha256_begin(void)
{
    static _Thread_local EVP_MD_CTX *ctx;
    static _Thread_local EVP_MD     *md;
    if (ctx == NULL) {
        md  = EVP_MD_fetch(NULL, "SHA256", NULL);
        ctx = EVP_MD_CTX_new();
    }
    must(md != NULL && ctx != NULL && EVP_DigestInit_ex2(ctx, md, NULL));
    return ctx;
}

void sha256_add(sha256_t *sha, const void *bytes, size_t len)
{
    must(EVP_DigestUpdate(sha, bytes, len));
}

void sha256_end(sha256_t *sha, uint8_t out[SHA256_BYTES])
{
    unsigned len = 0;
    must(EVP_DigestFinal_ex(sha, out, &len));
    must(len == SHA256_BYTES);
}
