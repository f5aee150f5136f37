/* The journal's writer against a disk that fails. Invariants checked:
 *   - J5: short writes, EINTR and EAGAIN anywhere: the file is byte for byte that of a disk without them
 *   - J6: the n-th sync fails, n = 1..100: nothing is submitted after it, written and durable stand still; likewise J4,
 *     the n-th write (ENOSPC): what was called written is in the file
 *   - J8: power losses at random: writes that no sync covered are lost, torn and reordered by sectors. What was called
 *     durable is there, what is read is what was written, and writing goes on from there, again and again; after an
 *     orderly stop the journal has no fault and every record that was not dropped
 *   - a process that dies (every completed write stays, in flight ones may) loses nothing that was called written
 *   - files are changed when they are full, a batch never spans two, no next file is an answer
 * The disk: files in memory; writes complete in any order; what a sync did not cover is in a list, and a power loss
 * applies any subset of its sectors to what was there before. The model is tests/lib/journal_model.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lib/journal_model.h"
#include "tools/journal_writer.h"

#define FILES 6u
#define OPS_MAX 4096u

typedef struct op {
    bool     sync, complete, reported;
    int      fd;
    uint32_t len;
    uint64_t offset, tag;
    uint32_t syncs_after; /* write: order of completion */
    uint8_t *bytes;
} op_t;

typedef struct disk {
    int      fds[FILES]; /* what a reader sees */
    int      platter[FILES];
    uint32_t bytes;
    op_t     ops[JOURNAL_IO_DEPTH]; /* in flight */
    uint32_t op_count;
    op_t     loose[OPS_MAX]; /* completed writes that no sync covered */
    uint32_t loose_count;
    uint32_t sector;
    bool     slow;                  /* complete some, in any order; else all at once */
    uint32_t fault_rate;            /* one in so many writes is short, EINTR or EAGAIN; 0 = none */
    uint64_t fail_write, fail_sync; /* the n-th fails; 0 = none */
    int      fail_errno;
    uint64_t writes, syncs;
    bool     failed;
} disk_t;

static disk_t disk;

static void disk_write(void *self, int fd, const void *bytes, uint32_t len, uint64_t offset, uint64_t tag)
{
    disk_t *d = self;
    assert_false(d->failed); /* nothing more after the first failure */
    assert_true(d->op_count < JOURNAL_IO_DEPTH);
    op_t *op = &d->ops[d->op_count++];
    *op      = (op_t){.fd = fd, .len = len, .offset = offset, .tag = tag, .bytes = malloc(len)};
    memcpy(op->bytes, bytes, len);
}

static void disk_sync(void *self, int fd, uint64_t tag)
{
    disk_t *d = self;
    assert_false(d->failed);
    assert_true(d->op_count < JOURNAL_IO_DEPTH);
    d->ops[d->op_count++] = (op_t){.sync = true, .fd = fd, .tag = tag, .syncs_after = d->loose_count};
}

static int platter_of(const disk_t *d, int fd)
{
    for (uint32_t i = 0; i < FILES; i++) {
        if (d->fds[i] == fd) {
            return d->platter[i];
        }
    }
    fail_msg("no such file");
    return -1;
}

static int64_t do_write(disk_t *d, op_t *op)
{
    uint32_t len = op->len;
    d->writes++;
    if (d->fail_write == d->writes) {
        d->failed = true;
        return -d->fail_errno;
    }
    if (d->fault_rate != 0 && model_rnd() % d->fault_rate == 0) {
        const uint64_t which = model_rnd() % 4;
        if (which < 2) {
            return which == 0 ? -EINTR : -EAGAIN;
        }
        len = which == 2 ? (uint32_t)(model_rnd() % len) : (uint32_t)(model_rnd() % len) & ~511u;
    }
    assert_int_equal(pwrite(op->fd, op->bytes, len, (off_t)op->offset), len);
    assert_true(d->loose_count < OPS_MAX);
    d->loose[d->loose_count]     = *op; /* takes the bytes over */
    d->loose[d->loose_count].len = len;
    d->loose_count++;
    op->bytes = NULL;
    return len;
}

/* All writes that completed before the sync was asked for are on the platter, those of any file that it is for. */
static int64_t do_sync(disk_t *d, const op_t *op)
{
    d->syncs++;
    if (d->fail_sync == d->syncs) {
        d->failed = true;
        return -d->fail_errno;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->loose_count; i++) {
        op_t *w = &d->loose[i];
        if (i < op->syncs_after && w->fd == op->fd) {
            assert_int_equal(pwrite(platter_of(d, w->fd), w->bytes, w->len, (off_t)w->offset), w->len);
            free(w->bytes);
        } else {
            d->loose[kept++] = *w;
        }
    }
    const uint32_t gone = d->loose_count - kept;
    d->loose_count      = kept;
    for (uint32_t i = 0; i < d->op_count; i++) {
        d->ops[i].syncs_after -= d->ops[i].syncs_after < gone ? d->ops[i].syncs_after : gone;
    }
    return 0;
}

static uint32_t disk_reap(void *self, journal_io_done_t *done, uint32_t cap, bool wait)
{
    disk_t  *d = self;
    uint32_t n = 0;
    if (d->failed) { /* what was in flight at the failure succeeds later: must change nothing */
        for (; n < cap && d->op_count > 0; n++) {
            done[n] = (journal_io_done_t){.tag = d->ops[0].tag, .result = d->ops[0].sync ? 0 : d->ops[0].len};
            free(d->ops[0].bytes);
            memmove(d->ops, d->ops + 1, --d->op_count * sizeof d->ops[0]);
        }
        return n;
    }
    while (n < cap && d->op_count > 0 && !d->failed && (!d->slow || (wait && n == 0) || model_rnd() % 3 == 0)) {
        const uint32_t i  = d->slow ? (uint32_t)(model_rnd() % d->op_count) : 0;
        op_t           op = d->ops[i];
        memmove(d->ops + i, d->ops + i + 1, (--d->op_count - i) * sizeof d->ops[0]);
        done[n++] = (journal_io_done_t){.tag = op.tag, .result = op.sync ? do_sync(d, &op) : do_write(d, &op)};
        free(op.bytes);
    }
    return n;
}

static void disk_close(void *self)
{
    disk_t *d = self;
    for (uint32_t i = 0; i < d->op_count; i++) {
        free(d->ops[i].bytes);
    }
    for (uint32_t i = 0; i < d->loose_count; i++) {
        free(d->loose[i].bytes);
    }
    d->op_count = d->loose_count = 0;
}

static void disk_new(uint32_t bytes)
{
    memset(&disk, 0, sizeof disk);
    disk.bytes      = bytes;
    disk.fail_errno = EIO;
    disk.sector     = model_rnd() % 2 ? 512 : 4096;
    for (uint32_t i = 0; i < FILES; i++) {
        disk.fds[i]     = memfd_create("journal", 0);
        disk.platter[i] = memfd_create("platter", 0);
        assert_int_equal(ftruncate(disk.fds[i], bytes), 0);
        assert_int_equal(ftruncate(disk.platter[i], bytes), 0);
    }
}

static void disk_free(void)
{
    for (uint32_t i = 0; i < FILES; i++) {
        close(disk.fds[i]);
        close(disk.platter[i]);
    }
}

static void apply_some(const op_t *w)
{
    for (uint32_t at = 0; at < w->len; at += disk.sector) {
        const uint32_t n = w->len - at < disk.sector ? w->len - at : disk.sector;
        if (model_rnd() % 2) {
            assert_int_equal(pwrite(platter_of(&disk, w->fd), w->bytes + at, n, (off_t)(w->offset + at)), n);
        }
    }
}

/* What the files are after a power loss: the platter, and any of the sectors that no sync covered. */
static void power_loss(void)
{
    static uint8_t copy[1 << 20];
    for (uint32_t i = 0; i < disk.loose_count; i++) {
        apply_some(&disk.loose[i]);
    }
    for (uint32_t i = 0; i < disk.op_count; i++) {
        if (!disk.ops[i].sync) {
            apply_some(&disk.ops[i]);
        }
    }
    disk_close(&disk);
    for (uint32_t i = 0; i < FILES; i++) {
        assert_int_equal(pread(disk.platter[i], copy, disk.bytes, 0), disk.bytes);
        assert_int_equal(pwrite(disk.fds[i], copy, disk.bytes, 0), disk.bytes);
    }
}

/* ---- a life of the writer ----------------------------------------------------------------------------------------- */
static const journal_id_t id = {.session = 77, .config_hash = 8, .core_version = 1};

typedef struct run {
    journal_writer_t w;
    uint64_t         put, sequence;
    int64_t          now;
    uint32_t         file_count; /* handed over */
} run_t;

/* Read everything: equal to the model up to where it ends. */
static err_t read_model(uint32_t files, journal_end_t *end, char *what, size_t cap)
{
    uint64_t          numbers[FILES] = {1, 2, 3, 4, 5, 6};
    journal_reader_t *r;
    journal_entry_t   e;
    uint64_t          n   = 0;
    err_t             err = journal_open(disk.fds, numbers, files, &id, &r);
    if (err != ERR_OK) {
        snprintf(what, cap, "%s", err_msg());
        return err;
    }
    while ((err = journal_next(r, &e)) == ERR_OK) {
        assert_int_equal(e.number, ++n);
        assert_int_equal(e.len, model[n].len);
        assert_memory_equal(e.bytes, model[n].bytes, e.len);
    }
    *end = *journal_end(r);
    snprintf(what, cap, "%s", end->note);
    assert_int_equal(end->pos.record, n);
    assert_true(n == 0 || model[n].batch_last == n);
    assert_true(n == 0 || end->pos.sequence == model[n].sequence);
    journal_close(r);
    return err;
}

static err_t run_open(run_t *r, bool power, uint32_t files)
{
    uint64_t              numbers[FILES] = {1, 2, 3, 4, 5, 6};
    journal_writer_file_t list[FILES];
    journal_reader_t     *reader = NULL;
    journal_end_t         end    = {0};
    journal_writer_cfg_t  cfg    = {.id = id, .power = power, .build_id = "test"};
    cfg.io                       = (journal_io_t){
                              .disk = &disk, .poll_fd = -1, .write = disk_write, .sync = disk_sync, .reap = disk_reap, .close = disk_close};
    for (uint32_t i = 0; i < files; i++) {
        list[i] = (journal_writer_file_t){.fd = disk.fds[i], .number = i + 1, .bytes = disk.bytes};
    }
    memset(r, 0, sizeof *r);
    r->file_count    = files;
    err_t      err   = journal_open(disk.fds, numbers, files, &id, &reader);
    const bool fresh = err == ERR_NOT_FOUND;
    if (!fresh) {
        assert_int_equal(err, ERR_OK);
        assert_int_equal(journal_scan_end(reader, model_rnd() % 2, &end), ERR_OK);
    }
    err         = journal_writer_open(&r->w, &cfg, list, files, fresh ? NULL : &end);
    r->put      = end.pos.record;
    r->sequence = end.pos.sequence;
    journal_close(reader);
    if (err == ERR_OK) {
        assert_int_equal(r->w.written, r->put);
        assert_int_equal(r->w.durable, r->put);
    }
    return err;
}

static void turn(run_t *r)
{
    const uint64_t written = r->w.written, durable = r->w.durable;
    const bool     failed = r->w.failed != ERR_OK;
    journal_writer_turn(&r->w, r->now);
    assert_true(r->w.durable <= r->w.written && r->w.written <= r->put);
    assert_true(r->w.written >= written && r->w.durable >= durable);
    assert_true(!failed || (r->w.written == written && r->w.durable == durable));
}

/* One batch, however many turns it takes; false when it cannot be (failed, or no next file). */
static bool batch(run_t *r, uint32_t outputs)
{
    const uint32_t bytes = model_batch(r->put + 1, r->sequence + 1, outputs);
    uint32_t       tries = 0;
    for (err_t err; (err = journal_writer_batch(&r->w, bytes)) != ERR_OK; turn(r)) {
        if (err != ERR_FULL || r->w.failed != ERR_OK || (r->w.waiting && tries++ > 100)) {
            return false;
        }
    }
    r->sequence++;
    for (uint32_t i = 0; i <= outputs; i++) {
        const model_record_t *record = &model[r->put + 1];
        while (journal_writer_put(&r->w, record->bytes, record->len, r->now) != ERR_OK) {
            if (r->w.failed != ERR_OK) {
                return false;
            }
            turn(r);
        }
        r->put++;
    }
    return true;
}

static void stop(run_t *r)
{
    journal_writer_stop(&r->w);
    for (uint32_t i = 0; !journal_writer_stopped(&r->w); i++) {
        assert_true(i < 10000);
        turn(r);
    }
}

static void write_some(run_t *r, uint32_t batches)
{
    for (uint32_t i = 0; i < batches; i++) {
        if (!batch(r, (uint32_t)(model_rnd() % 6))) {
            break;
        }
        r->now += (int64_t)(model_rnd() % (10 * NS_PER_MS)) + (model_rnd() % 50 == 0 ? NS_PER_S : 0);
        turn(r);
    }
}

/* ---- tests -------------------------------------------------------------------------------------------------------- */
static void test_journal_writer_files_and_orderly_stop(void **state)
{
    (void)state;
    run_t         r;
    journal_end_t end;
    char          what[256];
    for (int power = 0; power < 2; power++) {
        disk_new(96 * 1024);
        disk.slow = true;
        assert_int_equal(run_open(&r, power != 0, 2), ERR_OK);
        while (r.w.pos.file_number < 2 || r.put < 200) {
            assert_true(batch(&r, 7));
            r.now += NS_PER_MS;
            turn(&r);
        }
        while (batch(&r, 7)) { /* to the end of the second file */
        }
        assert_true(r.w.waiting);
        assert_int_equal(r.w.failed, ERR_OK);
        assert_int_equal(r.w.durable, r.put);
        journal_writer_file_t next = {.fd = disk.fds[2], .number = 4, .bytes = disk.bytes};
        assert_int_equal(journal_writer_file(&r.w, &next), ERR_GAP);
        next.number = 3;
        assert_int_equal(journal_writer_file(&r.w, &next), ERR_OK);
        assert_true(batch(&r, 3));
        stop(&r);
        assert_false(r.w.waiting);
        assert_int_equal(r.w.durable, r.put);
        assert_int_equal(r.w.stats.files, 3);
        journal_writer_close(&r.w);
        assert_int_equal(read_model(FILES, &end, what, sizeof what), ERR_END);
        assert_int_equal(end.pos.record, r.put);
        assert_string_equal(what, "");
        assert_int_equal(end.pos.file_number, 3);
        assert_int_equal(run_open(&r, power != 0, 3), ERR_OK); /* and on */
        assert_true(batch(&r, 3));
        const uint32_t huge = model_batch(r.put + 1, r.sequence + 1, 2000); /* larger than any file */
        err_t          err;
        while ((err = journal_writer_batch(&r.w, huge)) == ERR_FULL && !r.w.waiting) {
            turn(&r);
        }
        assert_true(r.w.waiting); /* not known before a whole file is there for it */
        next = (journal_writer_file_t){.fd = disk.fds[3], .number = 4, .bytes = disk.bytes};
        assert_int_equal(journal_writer_file(&r.w, &next), ERR_OK);
        while ((err = journal_writer_batch(&r.w, huge)) == ERR_FULL) {
            turn(&r);
        }
        assert_int_equal(err, ERR_LIMIT);
        assert_int_equal(r.w.failed, ERR_LIMIT);
        journal_writer_close(&r.w);
        disk_free();
    }
}

/* A batch that no block holds: over several, in one file. */
static void test_journal_writer_large_batch(void **state)
{
    (void)state;
    run_t         r;
    journal_end_t end;
    char          what[256];
    disk_new(1 << 20);
    disk.slow = true;
    assert_int_equal(run_open(&r, false, 3), ERR_OK);
    assert_true(batch(&r, 3));
    assert_true(batch(&r, 1500));
    assert_true(batch(&r, 0));
    assert_true(r.w.stats.blocks >= 2);
    assert_true(batch(&r, 2000));
    stop(&r);
    journal_writer_close(&r.w);
    assert_int_equal(read_model(3, &end, what, sizeof what), ERR_END);
    assert_int_equal(end.pos.record, r.put);
    assert_string_equal(what, "");
    disk_free();
}

/* J5: the same records, the same time, one block at a time, with and without faults. */
static void test_journal_writer_short_writes(void **state)
{
    (void)state;
    static uint8_t want[256 * 1024], got[256 * 1024];
    const uint64_t seed = model_seed;
    for (uint32_t rate = 0; rate < 4; rate++) {
        run_t r;
        model_seed = seed;
        disk_new(sizeof want);
        assert_int_equal(run_open(&r, false, 1), ERR_OK);
        uint64_t again = model_seed; /* faults have their own numbers */
        for (uint32_t i = 0; i < 100; i++) {
            model_seed = again;
            if (!batch(&r, (uint32_t)(model_rnd() % 6))) {
                break;
            }
            again           = model_seed;
            disk.fault_rate = rate == 0 ? 0 : rate + 1;
            r.now += JOURNAL_FLUSH_NS;
            do {
                turn(&r);
            } while (r.w.flight_count > 0 || r.w.syncing);
            disk.fault_rate = 0;
        }
        disk.fault_rate = rate == 0 ? 0 : rate + 1;
        stop(&r);
        assert_int_equal(r.w.failed, ERR_OK);
        journal_writer_close(&r.w);
        assert_int_equal(pread(disk.fds[0], rate == 0 ? want : got, sizeof want, 0), sizeof want);
        assert_true(rate == 0 || memcmp(want, got, sizeof want) == 0);
        disk_free();
    }
}

static void test_journal_writer_first_failure_closes(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 100; n++) {
        for (uint32_t kind = 0; kind < 4; kind++) { /* sync or write, power or process */
            run_t         r;
            journal_end_t end;
            char          what[256];
            disk_new(512 * 1024);
            disk.slow       = true;
            disk.fail_errno = kind & 1 ? ENOSPC : EIO;
            disk.fail_sync  = kind & 1 ? 0 : n;
            disk.fail_write = kind & 1 ? n : 0;
            const err_t err = run_open(&r, (kind & 2) != 0, FILES);
            if (err != ERR_OK) {
                assert_true(n <= 2);
                assert_int_equal(err, ERR_IO);
                disk_close(&disk);
                disk_free();
                continue;
            }
            while (r.w.failed == ERR_OK && r.put < MODEL_RECORDS_MAX - 100) {
                batch(&r, (uint32_t)(model_rnd() % 6));
                r.now += kind & 2 ? NS_PER_MS : kind ? 60 * NS_PER_MS : 1200 * NS_PER_MS;
                turn(&r);
                if (r.w.waiting) {
                    break;
                }
            }
            if (disk.failed) {
                const uint64_t written = r.w.written, durable = r.w.durable;
                assert_int_equal(r.w.failed, ERR_IO);
                assert_non_null(strstr(r.w.why, kind & 1 ? "No space" : "fdatasync"));
                assert_non_null(strstr(r.w.why, ".hj"));
                for (int i = 0; i < 20; i++) { /* the disk recovers: too late */
                    r.now += NS_PER_S;
                    turn(&r);
                    assert_int_equal(journal_writer_batch(&r.w, 200), ERR_FULL);
                }
                assert_true(r.w.written == written && r.w.durable == durable);
                journal_writer_stop(&r.w);
                assert_true(journal_writer_stopped(&r.w));
                assert_true(read_model(FILES, &end, what, sizeof what) == ERR_END || written == 0);
                assert_true(written == 0 || end.pos.record >= written);
            } else {
                fail_msg("failure %u of kind %u was not reached", n, kind);
            }
            journal_writer_close(&r.w);
            disk_free();
        }
    }
}

/* A life: opened on what is there, some batches, then a power loss, a dead process, or an orderly stop. */
static uint64_t life(uint64_t must, uint64_t *lost)
{
    run_t         r;
    journal_end_t end;
    char          what[256];
    const bool    power     = model_rnd() % 2;
    const bool    cut_start = model_rnd() % 8 == 0; /* the repair is cut short */
    disk.slow               = true;
    disk.fault_rate         = model_rnd() % 3 == 0 ? 10 : 0;
    if (cut_start) {
        disk.fail_write = disk.writes + 1 + model_rnd() % 3;
    }
    err_t err = run_open(&r, power, FILES);
    if (err != ERR_OK) {
        assert_true(cut_start);
        disk.failed     = false;
        disk.fail_write = 0;
        power_loss();
    } else {
        disk.fail_write = 0;
        assert_true(r.put >= must);
        *lost += r.put - must;
        write_some(&r, (uint32_t)(model_rnd() % 60));
        if (disk.bytes > 256 * 1024 && r.put < 5000 && model_rnd() % 2) {
            batch(&r, 1100 + (uint32_t)(model_rnd() % 1000)); /* over several blocks, and perhaps cut */
        }
        must               = r.w.durable;
        const uint64_t how = model_rnd() % 3;
        if (how == 0) {
            stop(&r);
            must = r.put;
            assert_int_equal(r.w.durable, r.put);
        } else if (how == 1) { /* the process dies: what it saw complete stays */
            must            = r.w.written;
            disk.fault_rate = 0;
            for (uint32_t i = 0; i < disk.op_count; i++) { /* in flight: done or not */
                if (!disk.ops[i].sync && model_rnd() % 2) {
                    do_write(&disk, &disk.ops[i]);
                }
                free(disk.ops[i].bytes);
            }
            disk.op_count = 0;
        } else {
            power_loss();
        }
        free(r.w.flights[0].buf);
        if (how != 1) {
            disk_close(&disk);
        }
    }
    err = read_model(FILES, &end, what, sizeof what);
    if (err == ERR_NOT_FOUND) {
        assert_int_equal(must, 0);
        return 0;
    }
    if (err != ERR_END) {
        fail_msg("%s", what);
    }
    assert_true(end.pos.record >= must);
    return must;
}

static void test_journal_writer_power_loss(void **state)
{
    (void)state;
    const uint32_t seeds = getenv("HWAL_SOAK") != NULL ? 10000 : 1000;
    uint64_t       kept  = 0;
    for (uint32_t i = 0; i < seeds; i++) {
        uint64_t must = 0;
        disk_new((i % 10 == 0 ? 1024 : 64) * 1024);
        for (int lives = 0; lives < 4; lives++) {
            must = life(must, &kept);
        }
        run_t         r;
        journal_end_t end;
        char          what[256];
        disk.fault_rate = 0;
        assert_int_equal(run_open(&r, true, FILES), ERR_OK);
        assert_true(r.put >= must);
        write_some(&r, 5);
        stop(&r);
        const uint64_t put = r.put;
        journal_writer_close(&r.w);
        assert_int_equal(read_model(FILES, &end, what, sizeof what), ERR_END);
        assert_string_equal(what, "");
        assert_int_equal(end.pos.record, put);
        disk_free();
    }
    printf("%u journals of 5 lives; records beyond what was promised that were there all the same: %llu\n", seeds,
           (unsigned long long)kept);
}

/* The real ones: io_uring where there is one, and without it. */
static void test_journal_writer_on_a_real_file(void **state)
{
    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        run_t         r;
        journal_end_t end;
        char          what[256];
        const char   *why;
        disk_new(1 << 22);
        if (plain) {
            setenv("HWAL_NO_IO_URING", "1", 1);
        } else {
            unsetenv("HWAL_NO_IO_URING");
        }
        journal_writer_cfg_t        cfg  = {.id = id, .power = true, .build_id = "test"};
        const journal_writer_file_t file = {.fd = disk.fds[0], .number = 1, .bytes = disk.bytes};
        journal_io_open(&cfg.io, &why);
        printf("%s%s\n", cfg.io.poll_fd >= 0 ? "io_uring" : "pwrite: ", why);
        assert_true(!plain || cfg.io.poll_fd < 0);
        memset(&r, 0, sizeof r);
        assert_int_equal(journal_writer_open(&r.w, &cfg, &file, 1, NULL), ERR_OK);
        for (int i = 0; i < 300; i++) {
            assert_true(batch(&r, (uint32_t)(model_rnd() % 5)));
            turn(&r);
        }
        journal_writer_stop(&r.w);
        while (!journal_writer_stopped(&r.w)) {
            turn(&r);
        }
        assert_int_equal(r.w.failed, ERR_OK);
        journal_writer_close(&r.w);
        assert_int_equal(read_model(1, &end, what, sizeof what), ERR_END);
        assert_string_equal(what, "");
        assert_int_equal(end.pos.record, r.put);
        disk_free();
    }
    unsetenv("HWAL_NO_IO_URING");
}

int main(void)
{
    const char *given = getenv("HWAL_SEED");
    model_seed        = given != NULL ? strtoull(given, NULL, 0) : 20251121;
    printf("HWAL_SEED=%llu\n", (unsigned long long)model_seed);
    mallopt(M_MMAP_THRESHOLD, 1 << 25);
    mallopt(M_TRIM_THRESHOLD, 1 << 28);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal_writer_files_and_orderly_stop),
        cmocka_unit_test(test_journal_writer_large_batch),
        cmocka_unit_test(test_journal_writer_short_writes),
        cmocka_unit_test(test_journal_writer_first_failure_closes),
        cmocka_unit_test(test_journal_writer_power_loss),
        cmocka_unit_test(test_journal_writer_on_a_real_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
