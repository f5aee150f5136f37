#include "ipc/snapshot.h"

#include <assert.h>
#include <errno.h>
#include <isa-l/mem_routines.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/sha256.h"

#define SNAPSHOT_MAGIC 0x3150414e536c7768ull
#define SNAPSHOT_VERSION 1u
#define PAGE 4096u
#define INDEX_CHUNK 1024u /* entries of the page index in one page of it */

typedef struct snapshot_page {
    uint64_t        magic;
    uint32_t        version;
    uint32_t        page_count;
    snapshot_info_t info;
    uint8_t         body[SHA256_BYTES]; /* hash of everything behind the head */
    uint8_t         head[SHA256_BYTES]; /* hash of the head page, with zeros here */
} snapshot_page_t;

_Static_assert(sizeof(snapshot_info_t) == 480, "in a file: bump SNAPSHOT_VERSION");
_Static_assert(sizeof(snapshot_page_t) == 560 && sizeof(snapshot_page_t) <= PAGE, "in a file: bump SNAPSHOT_VERSION");

static uint64_t index_bytes(uint32_t pages)
{
    return ((uint64_t)pages * 4 + PAGE - 1) / PAGE * PAGE;
}

static void head_hash(const uint8_t page[PAGE], uint8_t out[SHA256_BYTES])
{
    static const uint8_t zeros[SHA256_BYTES];
    const size_t         at  = offsetof(snapshot_page_t, head);
    sha256_t            *sha = sha256_begin();
    sha256_add(sha, page, at);
    sha256_add(sha, zeros, sizeof zeros);
    sha256_add(sha, page + at + SHA256_BYTES, PAGE - at - SHA256_BYTES);
    sha256_end(sha, out);
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */
static err_t write_all(int fd, uint64_t offset, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (len > 0) {
        const ssize_t n = pwrite(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return err_set(ERR_IO, "snapshot, offset %llu: %s", (unsigned long long)offset,
                           strerror(n < 0 ? errno : EIO));
        }
        at += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

typedef struct body { /* a body being written: hashed as it goes */
    int       fd;
    uint32_t  fill;
    uint64_t  offset;
    sha256_t *sha;
    uint32_t  index[INDEX_CHUNK];
} body_t;

static err_t body_write(body_t *body, const void *bytes, size_t len)
{
    const err_t err = write_all(body->fd, body->offset, bytes, len);
    sha256_add(body->sha, bytes, len);
    body->offset += len;
    return err;
}

/* Page i of the arena, its last one filled up with zeros in `last`; NULL when it is all zeros. */
static const uint8_t *arena_page(const uint8_t *arena, uint64_t bytes, uint64_t i, uint8_t last[PAGE])
{
    const uint64_t at   = i * PAGE;
    const uint64_t len  = bytes - at < PAGE ? bytes - at : PAGE;
    const uint8_t *page = arena + at;
    if (len < PAGE) {
        memset(last, 0, PAGE);
        memcpy(last, page, len);
        page = last;
    }
    return isal_zero_detect((void *)(uintptr_t)page, PAGE) == 0 ? NULL : page;
}

err_t snapshot_write(int fd, const snapshot_info_t *info, const void *arena)
{
    _Alignas(8) uint8_t head[PAGE] = {0};
    uint8_t             last[PAGE];
    const uint64_t      pages = (info->arena_bytes + PAGE - 1) / PAGE;
    snapshot_page_t     page  = {.magic = SNAPSHOT_MAGIC, .version = SNAPSHOT_VERSION, .info = *info};
    body_t              body  = {.fd = fd, .offset = PAGE, .sha = sha256_begin()};
    err_t               err   = ERR_OK;
    if (pages > UINT32_MAX) {
        return err_set(ERR_LIMIT, "snapshot: arena of %llu bytes, limit 2^32 pages",
                       (unsigned long long)info->arena_bytes);
    }
    for (uint64_t i = 0; err == ERR_OK && i < pages; i++) {
        if (arena_page(arena, info->arena_bytes, i, last) != NULL) {
            body.index[body.fill++] = (uint32_t)i;
            page.page_count++;
        }
        if (body.fill == INDEX_CHUNK || (body.fill > 0 && i + 1 == pages)) {
            memset(body.index + body.fill, 0, (INDEX_CHUNK - body.fill) * sizeof body.index[0]);
            body.fill = 0;
            err       = body_write(&body, body.index, sizeof body.index);
        }
    }
    for (uint64_t i = 0; err == ERR_OK && i < pages; i++) {
        const uint8_t *at = arena_page(arena, info->arena_bytes, i, last);
        err               = at == NULL ? ERR_OK : body_write(&body, at, PAGE);
    }
    if (err != ERR_OK) {
        return err;
    }
    sha256_end(body.sha, page.body);
    memcpy(head, &page, sizeof page);
    head_hash(head, page.head);
    memcpy(head, &page, sizeof page);
    err = write_all(fd, 0, head, PAGE);
    if (err == ERR_OK && fsync(fd) != 0) {
        err = err_set(ERR_IO, "snapshot: fsync: %s", strerror(errno));
    }
    return err;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */
static err_t read_all(int fd, uint64_t offset, void *bytes, size_t len)
{
    uint8_t *at = bytes;
    while (len > 0) {
        const ssize_t n = pread(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_set(ERR_IO, "snapshot, offset %llu: %s", (unsigned long long)offset, strerror(errno));
        }
        if (n == 0) {
            return err_set(ERR_PARSE, "snapshot: ends at %llu, %zu bytes too early", (unsigned long long)offset, len);
        }
        at += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

static err_t read_page(int fd, snapshot_page_t *page)
{
    _Alignas(8) uint8_t head[PAGE];
    uint8_t             hash[SHA256_BYTES];
    struct stat         st;
    const err_t         err = read_all(fd, 0, head, PAGE);
    if (err != ERR_OK) {
        return err;
    }
    memcpy(page, head, sizeof *page);
    if (page->magic != SNAPSHOT_MAGIC) {
        return err_set(ERR_PARSE, "snapshot: magic %016llx, not one of ours", (unsigned long long)page->magic);
    }
    if (page->version != SNAPSHOT_VERSION) {
        return err_set(ERR_UNSUPPORTED, "snapshot: version %u of the format, this build reads %u", page->version,
                       SNAPSHOT_VERSION);
    }
    head_hash(head, hash);
    if (memcmp(hash, page->head, sizeof hash) != 0) {
        return err_set(ERR_PARSE, "snapshot: hash of its head");
    }
    const uint64_t bytes = PAGE + index_bytes(page->page_count) + (uint64_t)page->page_count * PAGE;
    if (fstat(fd, &st) != 0) {
        return err_set(ERR_IO, "snapshot: %s", strerror(errno));
    }
    if ((uint64_t)st.st_size != bytes) {
        return err_set(ERR_PARSE, "snapshot of sequence %llu: %lld bytes, its head says %llu",
                       (unsigned long long)page->info.sequence, (long long)st.st_size, (unsigned long long)bytes);
    }
    return ERR_OK;
}

err_t snapshot_head(int fd, snapshot_info_t *info)
{
    snapshot_page_t page;
    const err_t     err = read_page(fd, &page);
    if (err == ERR_OK) {
        *info = page.info;
    }
    return err;
}

/* One entry of the index and its page into the arena. Pages come in rising order. */
static err_t load_page(int fd, const snapshot_page_t *page, uint32_t i, const uint32_t *index, sha256_t *sha,
                       uint8_t *arena)
{
    uint8_t        bytes[PAGE];
    const uint64_t at     = (uint64_t)index[i % INDEX_CHUNK] * PAGE;
    const uint64_t offset = PAGE + index_bytes(page->page_count) + (uint64_t)i * PAGE;
    const err_t    err    = read_all(fd, offset, bytes, PAGE);
    if (err != ERR_OK) {
        return err;
    }
    if (at >= page->info.arena_bytes) {
        return err_set(ERR_PARSE, "snapshot: page %u leads to %llu of an arena of %llu bytes", i,
                       (unsigned long long)at, (unsigned long long)page->info.arena_bytes);
    }
    sha256_add(sha, bytes, PAGE);
    memcpy(arena + at, bytes, page->info.arena_bytes - at < PAGE ? page->info.arena_bytes - at : PAGE);
    return ERR_OK;
}

static err_t load_body(int fd, const snapshot_page_t *page, uint8_t *arena)
{
    uint32_t  index[INDEX_CHUNK];
    uint8_t   hash[SHA256_BYTES];
    err_t     err = ERR_OK;
    sha256_t *sha = sha256_begin();
    for (uint64_t at = 0; err == ERR_OK && at < index_bytes(page->page_count); at += sizeof index) {
        err = read_all(fd, PAGE + at, index, sizeof index);
        sha256_add(sha, index, sizeof index);
    }
    for (uint32_t i = 0; err == ERR_OK && i < page->page_count; i++) {
        if (i % INDEX_CHUNK == 0) {
            err = read_all(fd, PAGE + (uint64_t)i * 4, index, sizeof index);
        }
        err = err == ERR_OK ? load_page(fd, page, i, index, sha, arena) : err;
    }
    if (err != ERR_OK) {
        return err;
    }
    sha256_end(sha, hash);
    if (memcmp(hash, page->body, sizeof hash) != 0) {
        return err_set(ERR_PARSE, "snapshot of sequence %llu: hash of its pages",
                       (unsigned long long)page->info.sequence);
    }
    return ERR_OK;
}

err_t snapshot_load(int fd, const snapshot_info_t *info, void *arena)
{
    snapshot_page_t page;
    err_t           err = read_page(fd, &page);
    if (err != ERR_OK) {
        return err;
    }
    if (memcmp(&page.info, info, sizeof *info) != 0) {
        return err_set(ERR_STATE, "snapshot of sequence %llu: not the one whose head was read, of sequence %llu",
                       (unsigned long long)page.info.sequence, (unsigned long long)info->sequence);
    }
    err = load_body(fd, &page, arena);
    if (err != ERR_OK) {
        memset(arena, 0, info->arena_bytes);
    }
    return err;
}
