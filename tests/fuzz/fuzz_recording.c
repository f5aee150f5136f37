/* A recording's reader on any bytes behind checks that hold: the input becomes the packed entries of blocks, so that what
 * guards memory behind the checksums is what is tested. The first byte says how many entries the block claims; the first
 * four words how its parts divide it. Whatever comes out is written again, and must read back the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/recording.c" /* its layouts, and its own checks, to make blocks that pass them */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *once(size_t bytes)
{
    void *mem = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    assert(mem);
    return mem;
}

/* A file of one block that holds these bytes. */
static void make(int fd, const uint8_t *data, size_t size)
{
    static uint8_t packed[DISK_MAX + 8];
    head_t         head = {.magic = FILE_MAGIC, .version = RECORDING_VERSION, .about = {.source_count = 3}};
    head.check          = check_of(&head, offsetof(head_t, check));
    memset(packed, 0, sizeof packed);
    const size_t bytes = ZSTD_compress(packed, DISK_MAX, data, size, 1);
    block_t      b     = {.magic      = BLOCK_MAGIC,
                          .disk_bytes = (uint32_t)(bytes + 7) & ~7u,
                          .raw_bytes  = (uint32_t)size,
                          .zstd_bytes = (uint32_t)bytes,
                          .count      = 1 + data[0] % 64u,
                          .first      = 1,
                          .ts_last    = INT64_MAX};
    b.payload_check    = check_of(packed, b.disk_bytes);
    b.check            = check_of(&b, offsetof(block_t, check));
    const ssize_t done = pwrite(fd, &head, sizeof head, 0) + pwrite(fd, &b, sizeof b, sizeof head) +
                         pwrite(fd, packed, b.disk_bytes, sizeof head + sizeof b);
    assert(done == (ssize_t)(sizeof head + sizeof b + b.disk_bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void *read_mem, *write_mem;
    read_mem  = read_mem ? read_mem : once(recording_reader_footprint());
    write_mem = write_mem ? write_mem : once(recording_writer_footprint());
    if (size < sizeof(raw_head_t) + 1 || size > RECORDING_BLOCK_BYTES) {
        return 0;
    }
    static uint8_t block[RECORDING_BLOCK_BYTES];
    raw_head_t     parts;
    memcpy(block, data, size);
    memcpy(&parts, block, sizeof parts); /* made to fit: what does not is refused at once */
    uint32_t left = (uint32_t)(size - sizeof parts);
    for (unsigned i = 0; i < STREAMS; i++) {
        parts.bytes[i] = i == STREAMS - 1 ? left : parts.bytes[i] % (left + 1);
        left -= parts.bytes[i];
    }
    memcpy(block, &parts, sizeof parts);
    const int           fds[2] = {memfd_create("in", 0), memfd_create("out", 0)};
    recording_reader_t *r;
    recording_writer_t *w;
    recording_entry_t   e;
    uint64_t            hash = 0, again = 0, count = 0;
    make(fds[0], block, size);
    const recording_about_t about  = {.source_count = 3};
    const err_t             opened = recording_open(read_mem, fds[0], "in", &r),
                made               = recording_create(write_mem, fds[1], "out", &about, &w);
    assert(opened == ERR_OK && made == ERR_OK);
    for (; recording_next(r, &e) == ERR_OK; count++) {
        hash = hash_bytes(hash, e.msg.body, msg_body_size(e.msg.type));
        hash = hash_u64(hash, (uint64_t)e.ts_ns ^ e.seq ^ e.topic ^ (uint64_t)e.tenant << 32 ^ e.msg.tail_count);
        const err_t written = recording_write(w, &e);
        assert(written == ERR_OK);
    }
    const err_t finished = recording_finish(w, 0), reopened = recording_open(read_mem, fds[1], "out", &r);
    assert(finished == ERR_OK && reopened == ERR_OK && recording_extent(r)->entries == count);
    while (recording_next(r, &e) == ERR_OK) {
        again = hash_bytes(again, e.msg.body, msg_body_size(e.msg.type));
        again = hash_u64(again, (uint64_t)e.ts_ns ^ e.seq ^ e.topic ^ (uint64_t)e.tenant << 32 ^ e.msg.tail_count);
    }
    assert(hash == again);
    close(fds[0]);
    close(fds[1]);
    return 0;
}
