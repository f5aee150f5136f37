/* journal_io: the seam between the journal's writer and a disk: queue a write, queue a flush, ask what is done.
 *
 * Real       io_uring (journal_io_open): set up disabled, restricted to WRITE and FSYNC, then enabled, so that not even
 *            the process itself can use it for anything else. Where io_uring is refused the same calls are pwrite and
 *            fdatasync, done at once (HWAL_NO_IO_URING in the environment asks for that).
 * Tests      a disk in memory that fails, tears, loses and reorders (tests/tools/test_journal_writer.c).
 *
 * Order      none is promised between operations in flight: whoever needs one waits for the first to be done.
 * Results    as the kernel gives them: bytes written, which may be fewer than asked for, or -errno.
 * Limits     JOURNAL_IO_DEPTH operations in flight; a queued buffer stays as it is until its operation is done.
 * Threads    one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/types/err.h"

#define JOURNAL_IO_DEPTH 16u

typedef struct journal_io_done {
    uint64_t tag;
    int64_t  result;
} journal_io_done_t;

typedef struct journal_io {
    void *disk;
    int   poll_fd; /* readable when something is done; -1 = everything is done at once */
    void (*write)(void *disk, int fd, const void *bytes, uint32_t len, uint64_t offset, uint64_t tag);
    void (*sync)(void *disk, int fd, uint64_t tag);                                 /* data, as fdatasync */
    uint32_t (*reap)(void *disk, journal_io_done_t *done, uint32_t cap, bool wait); /* wait: for at least one */
    void (*close)(void *disk);
} journal_io_t;

/* journal_io_open: the real one; *why says in words why it is not io_uring, "" when it is. Before the sandbox. */
void journal_io_open(journal_io_t *io, const char **why);
