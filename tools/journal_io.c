#include "tools/journal_io.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct disk {
    struct io_uring   ring;
    journal_io_done_t done[JOURNAL_IO_DEPTH]; /* without io_uring: what was done at once */
    uint32_t          done_count;
} disk_t;

/* ---- io_uring ----------------------------------------------------------------------------------------------------- */
static void submit(disk_t *disk)
{
    int rc;
    do {
        rc = io_uring_submit(&disk->ring);
    } while (rc == -EINTR || rc == -EAGAIN);
    assert(rc >= 0); /* what an operation comes to is in its completion */
}

static struct io_uring_sqe *next_sqe(disk_t *disk)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&disk->ring);
    assert(sqe != NULL); /* the writer keeps to JOURNAL_IO_DEPTH */
    return sqe;
}

static void uring_write(void *self, int fd, const void *bytes, uint32_t len, uint64_t offset, uint64_t tag)
{
    struct io_uring_sqe *sqe = next_sqe(self);
    io_uring_prep_write(sqe, fd, bytes, len, offset);
    io_uring_sqe_set_data64(sqe, tag);
    submit(self);
}

static void uring_sync(void *self, int fd, uint64_t tag)
{
    struct io_uring_sqe *sqe = next_sqe(self);
    io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data64(sqe, tag);
    submit(self);
}

static uint32_t uring_reap(void *self, journal_io_done_t *done, uint32_t cap, bool wait)
{
    disk_t              *disk = self;
    struct io_uring_cqe *cqe;
    uint32_t             n = 0;
    while (n < cap) {
        const int rc = wait && n == 0 ? io_uring_wait_cqe(&disk->ring, &cqe) : io_uring_peek_cqe(&disk->ring, &cqe);
        if (rc == -EINTR) {
            continue;
        }
        if (rc != 0) {
            break;
        }
        done[n++] = (journal_io_done_t){.tag = io_uring_cqe_get_data64(cqe), .result = cqe->res};
        io_uring_cqe_seen(&disk->ring, cqe);
    }
    return n;
}

static void uring_close(void *self)
{
    disk_t *disk = self;
    io_uring_queue_exit(&disk->ring);
    free(disk);
}

/* By the system call: liburing 2.3 declares its functions for these two and does not export them. */
static int ring_register(const struct io_uring *ring, unsigned what, const void *arg, unsigned count)
{
    return syscall(SYS_io_uring_register, ring->ring_fd, what, arg, count) < 0 ? -errno : 0;
}

/* Restrictions can only be set while the ring is disabled; what is not allowed here is refused by the kernel. */
static int uring_open(struct io_uring *ring)
{
    struct io_uring_restriction allowed[] = {
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC},
    };
    int rc = io_uring_queue_init(JOURNAL_IO_DEPTH, ring, IORING_SETUP_R_DISABLED);
    if (rc != 0) {
        return rc;
    }
    rc = ring_register(ring, IORING_REGISTER_RESTRICTIONS, allowed, sizeof allowed / sizeof allowed[0]);
    rc = rc == 0 ? ring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0) : rc;
    if (rc != 0) {
        io_uring_queue_exit(ring);
    }
    return rc;
}

/* ---- without it --------------------------------------------------------------------------------------------------- */
static void did(disk_t *disk, uint64_t tag, int64_t result)
{
    assert(disk->done_count < JOURNAL_IO_DEPTH);
    disk->done[disk->done_count++] = (journal_io_done_t){.tag = tag, .result = result < 0 ? -(int64_t)errno : result};
}

static void plain_write(void *self, int fd, const void *bytes, uint32_t len, uint64_t offset, uint64_t tag)
{
    did(self, tag, pwrite(fd, bytes, len, (off_t)offset));
}

static void plain_sync(void *self, int fd, uint64_t tag)
{
    did(self, tag, fdatasync(fd));
}

static uint32_t plain_reap(void *self, journal_io_done_t *done, uint32_t cap, bool wait)
{
    disk_t        *disk = self;
    const uint32_t n    = disk->done_count < cap ? disk->done_count : cap;
    (void)wait;
    memcpy(done, disk->done, n * sizeof *done);
    disk->done_count -= n;
    memmove(disk->done, disk->done + n, disk->done_count * sizeof *done);
    return n;
}

void journal_io_open(journal_io_t *io, const char **why)
{
    disk_t *disk = calloc(1, sizeof *disk);
    assert(disk != NULL);
    const int rc = getenv("HWAL_NO_IO_URING") != NULL ? -EPERM : uring_open(&disk->ring);
    if (rc == 0) {
        *io  = (journal_io_t){.disk    = disk,
                              .poll_fd = disk->ring.ring_fd,
                              .write   = uring_write,
                              .sync    = uring_sync,
                              .reap    = uring_reap,
                              .close   = uring_close};
        *why = "";
        return;
    }
    *io = (journal_io_t){
        .disk = disk, .poll_fd = -1, .write = plain_write, .sync = plain_sync, .reap = plain_reap, .close = free};
    *why = strerror(-rc);
}
