#include "tools/journal_writer.h"

#include <assert.h>
#include <errno.h>
#include <isa-l/mem_routines.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAG_SYNC 1000u /* other tags are indices of flights */
#define TRIES_MAX 1000u

/* What a block holds at least when the next record did not fit any more: bounds what a large batch takes. */
#define BLOCK_YIELD (JOURNAL_BLOCK_MAX - JOURNAL_BLOCK_HEAD - JOURNAL_RECORD_HEAD - RECORD_BYTES_MAX)

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + JOURNAL_BLOCK_BYTES - 1) / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
}

static journal_writer_file_t *current(journal_writer_t *w)
{
    return &w->files[w->file];
}

void journal_writer_fail(journal_writer_t *w, err_t err)
{
    if (w->failed == ERR_OK) {
        w->failed = err;
        snprintf(w->why, sizeof w->why, "journal closed for good: %s", err_msg());
    }
}

/* ---- operations --------------------------------------------------------------------------------------------------- */
static void submit(journal_writer_t *w, journal_flight_t *f)
{
    w->io.write(w->io.disk, f->fd, f->buf + f->done, f->bytes - f->done, f->offset + f->done,
                (uint64_t)(f - w->flights));
}

/* The buffer that is next; NULL while all are in flight. */
static journal_flight_t *next_flight(journal_writer_t *w)
{
    return w->flight_count == JOURNAL_WRITER_BLOCKS
               ? NULL
               : &w->flights[(w->flight_first + w->flight_count) % JOURNAL_WRITER_BLOCKS];
}

/* send: bytes in the next buffer go to offset of the current file. */
static void send(journal_writer_t *w, uint32_t bytes, uint64_t offset, uint64_t last)
{
    journal_flight_t *f = next_flight(w);
    assert(f != NULL);
    *f = (journal_flight_t){.buf = f->buf, .bytes = bytes, .fd = current(w)->fd, .offset = offset, .last = last};
    w->flight_count++;
    w->stats.bytes += bytes;
    submit(w, f);
}

static void send_block(journal_writer_t *w)
{
    const uint64_t offset = w->pos.offset;
    const uint32_t bytes  = journal_block_seal(&w->block, &w->pos, w->durable);
    w->block.buf          = NULL;
    w->stats.blocks++;
    send(w, bytes, offset, w->batch_left > 0 ? w->whole : w->pos.record);
}

static bool begin_block(journal_writer_t *w)
{
    const journal_flight_t *f = next_flight(w);
    if (f != NULL) {
        journal_block_begin(&w->block, f->buf, &w->pos);
    }
    return f != NULL;
}

static void send_head(journal_writer_t *w)
{
    journal_file_t file = {.id = w->id, .pos = w->pos, .bytes = current(w)->bytes, .life = w->life, .epoch = w->epoch};
    memcpy(file.build_id, w->build_id, sizeof file.build_id);
    assert(w->block.buf == NULL);
    journal_file_head(next_flight(w)->buf, &file);
    w->stats.files++;
    send(w, JOURNAL_BLOCK_BYTES, 0, w->pos.record);
}

static void start_sync(journal_writer_t *w)
{
    w->syncing     = true;
    w->sync_record = w->written;
    w->sync_writes = w->writes_done;
    w->io.sync(w->io.disk, current(w)->fd, TAG_SYNC);
}

static void write_done(journal_writer_t *w, journal_flight_t *f, int64_t result)
{
    const bool again = result == -EINTR || result == -EAGAIN;
    /* A part that is no whole page is written again: direct I/O goes by pages. */
    const uint32_t before = f->done;
    const uint64_t done   = again || result < 0 ? before : before + (uint64_t)result;
    f->done               = done >= f->bytes ? f->bytes : (uint32_t)(done & ~(JOURNAL_BLOCK_BYTES - 1ull));
    f->idle_tries         = f->done > before ? 0 : f->idle_tries + 1;
    if (f->done == f->bytes) {
        f->complete = true;
        w->writes_done++;
    } else if ((result < 0 && !again) || f->idle_tries > TRIES_MAX) {
        journal_writer_fail(w, err_set(ERR_IO, "file %06llu.hj: write of %u bytes at %llu: %s",
                                       (unsigned long long)current(w)->number, f->bytes, (unsigned long long)f->offset,
                                       result < 0 ? strerror((int)-result) : "nothing is written any more"));
    } else {
        submit(w, f);
    }
}

static void sync_done(journal_writer_t *w, int64_t result, int64_t mono_ns)
{
    w->syncing = false;
    if (result < 0) {
        journal_writer_fail(w, err_set(ERR_IO, "file %06llu.hj: fdatasync: %s", (unsigned long long)current(w)->number,
                                       strerror((int)-result)));
        return;
    }
    w->durable       = w->sync_record;
    w->writes_synced = w->sync_writes;
    w->synced_ns     = mono_ns;
    w->stats.syncs++;
}

/* What is done, in any order; written moves in the order of the records. */
static uint32_t reap(journal_writer_t *w, int64_t mono_ns, bool wait)
{
    journal_io_done_t done[JOURNAL_IO_DEPTH];
    const uint32_t    n = w->io.reap(w->io.disk, done, JOURNAL_IO_DEPTH, wait);
    for (uint32_t i = 0; i < n && w->failed == ERR_OK; i++) {
        if (done[i].tag == TAG_SYNC) {
            sync_done(w, done[i].result, mono_ns);
        } else {
            write_done(w, &w->flights[done[i].tag], done[i].result);
        }
    }
    while (w->failed == ERR_OK && w->flight_count > 0 && w->flights[w->flight_first].complete) {
        w->written      = w->flights[w->flight_first].last;
        w->flight_first = (w->flight_first + 1) % JOURNAL_WRITER_BLOCKS;
        w->flight_count--;
    }
    return n;
}

/* Wait until nothing is in flight: at the start only. */
static err_t settle(journal_writer_t *w)
{
    while (w->failed == ERR_OK && (w->flight_count > 0 || w->syncing)) {
        reap(w, 0, true);
    }
    return w->failed != ERR_OK ? err_set(w->failed, "%s", w->why) : ERR_OK;
}

static err_t sync_now(journal_writer_t *w)
{
    start_sync(w);
    return settle(w);
}

/* ---- the start ---------------------------------------------------------------------------------------------------- */
/* wipe: whatever is not zero in the current file from offset on becomes zero. Two buffers: what is there, and zeros. */
static err_t wipe(journal_writer_t *w, uint64_t offset)
{
    journal_flight_t *zeros = next_flight(w);
    uint8_t          *seen  = w->flights[(w->flight_first + 1) % JOURNAL_WRITER_BLOCKS].buf;
    memset(zeros->buf, 0, JOURNAL_BLOCK_MAX);
    for (err_t err = ERR_OK; offset < current(w)->bytes;) {
        ssize_t n;
        do {
            n = pread(current(w)->fd, seen, JOURNAL_BLOCK_MAX, (off_t)offset);
        } while (n < 0 && errno == EINTR);
        if (n < 0) {
            return err_set(ERR_IO, "file %06llu.hj, offset %llu: %s", (unsigned long long)current(w)->number,
                           (unsigned long long)offset, strerror(errno));
        }
        if (n == 0) {
            break;
        }
        if (isal_zero_detect(seen, (size_t)n) != 0) {
            send(w, (uint32_t)round_up((uint64_t)n), offset, w->pos.record);
            err             = settle(w);
            w->flight_first = (uint32_t)(zeros - w->flights); /* the same buffers again */
        }
        if (err != ERR_OK) {
            return err;
        }
        offset += (uint64_t)n;
    }
    return sync_now(w);
}

/* repair: nothing but zeros behind the end; what was kept of a torn block as a block of its own. The zeros come first: a
 * crash between leaves the torn block as it was. */
static err_t repair(journal_writer_t *w, const journal_end_t *end)
{
    const uint8_t *at   = end->keep;
    const uint32_t home = w->file;
    const uint64_t keep = end->keep_count == 0 ? 0 : round_up(JOURNAL_BLOCK_HEAD + (uint64_t)end->keep_bytes);
    err_t          err  = wipe(w, w->pos.offset + keep);
    for (w->file = home + 1; err == ERR_OK && w->file < w->file_count; w->file++) {
        err = wipe(w, 0);
    }
    w->file = home;
    if (err != ERR_OK || keep == 0) {
        return err;
    }
    begin_block(w);
    for (uint32_t i = 0; i < end->keep_count; i++) {
        uint32_t len;
        memcpy(&len, at, sizeof len);
        const err_t added = journal_block_add(&w->block, at + JOURNAL_RECORD_HEAD, len);
        assert(added == ERR_OK);
        at += journal_record_bytes(len);
    }
    assert(at == (const uint8_t *)end->keep + end->keep_bytes);
    send_block(w);
    err = settle(w);
    return err != ERR_OK ? err : sync_now(w);
}

static err_t go_on(journal_writer_t *w, const journal_end_t *end)
{
    for (w->file = 0; w->file < w->file_count && current(w)->number != end->pos.file_number; w->file++) {
    }
    if (w->file == w->file_count) {
        return err_set(ERR_NOT_FOUND, "journal: its end is in file %llu, which was not handed over",
                       (unsigned long long)end->pos.file_number);
    }
    w->pos   = end->pos;
    w->epoch = end->epoch;
    w->life  = end->life;
    w->pos.record -= end->keep_count;
    w->written = w->whole = w->pos.record;
    err_t err             = sync_now(w); /* what an earlier life wrote and did not sync */
    if (err == ERR_OK && (end->dirty || end->keep_count > 0)) {
        err = repair(w, end);
    }
    assert(err != ERR_OK || w->durable == end->pos.record);
    return err;
}

static err_t begin(journal_writer_t *w)
{
    if (w->file_count == 0 || w->files[0].number != 1) {
        return err_set(ERR_NOT_FOUND, "journal: no file to begin with, %u were handed over", w->file_count);
    }
    journal_pos_first(&w->pos, &w->id);
    send_head(w);
    const err_t err = settle(w);
    return err != ERR_OK ? err : sync_now(w);
}

err_t journal_writer_file(journal_writer_t *w, const journal_writer_file_t *file)
{
    const uint64_t want = w->file_count > 0 ? w->files[w->file_count - 1].number + 1 : file->number;
    if (file->bytes < JOURNAL_FILE_MIN) {
        return err_set(ERR_LIMIT, "file %06llu.hj: %llu bytes, at least %u", (unsigned long long)file->number,
                       (unsigned long long)file->bytes, JOURNAL_FILE_MIN);
    }
    if (file->number != want) {
        return err_set(ERR_GAP, "file %06llu.hj came, the next one is %06llu.hj", (unsigned long long)file->number,
                       (unsigned long long)want);
    }
    if (w->file_count == JOURNAL_WRITER_FILES && w->file > 0) { /* those before the current one are not needed */
        memmove(w->files, current(w), (w->file_count - w->file) * sizeof w->files[0]);
        w->file_count -= w->file;
        w->file = 0;
    }
    if (w->file_count == JOURNAL_WRITER_FILES) {
        return err_set(ERR_LIMIT, "file %06llu.hj: %u files wait already", (unsigned long long)file->number,
                       JOURNAL_WRITER_FILES - 1);
    }
    w->files[w->file_count++] = *file;
    return ERR_OK;
}

err_t journal_writer_open(journal_writer_t *w, const journal_writer_cfg_t *cfg, const journal_writer_file_t *files,
                          uint32_t count, const journal_end_t *end)
{
    err_t err = ERR_OK;
    *w        = (journal_writer_t){.io = cfg->io, .id = cfg->id, .power = cfg->power};
    snprintf(w->build_id, sizeof w->build_id, "%s", cfg->build_id);
    uint8_t *mem = aligned_alloc(JOURNAL_BLOCK_BYTES, (size_t)JOURNAL_WRITER_BLOCKS * JOURNAL_BLOCK_MAX);
    assert(mem != NULL);
    memset(mem, 0, (size_t)JOURNAL_WRITER_BLOCKS * JOURNAL_BLOCK_MAX); /* touched: no page fault later */
    for (uint32_t i = 0; i < JOURNAL_WRITER_BLOCKS; i++) {
        w->flights[i].buf = mem + (size_t)i * JOURNAL_BLOCK_MAX;
    }
    for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
        err = journal_writer_file(w, &files[i]);
    }
    err = err != ERR_OK ? err : end == NULL ? begin(w) : go_on(w, end);
    if (err != ERR_OK) {
        free(mem);
        w->flights[0].buf = NULL;
    }
    return err;
}

void journal_writer_close(journal_writer_t *w)
{
    w->io.close(w->io.disk);
    free(w->flights[0].buf);
}

void journal_writer_life(journal_writer_t *w, uint32_t epoch, uint64_t records_before)
{
    w->epoch = epoch;
    w->life  = records_before;
}

/* ---- records ------------------------------------------------------------------------------------------------------ */
err_t journal_writer_batch(journal_writer_t *w, uint32_t bytes)
{
    assert(w->batch_left == 0 && !w->stopping);
    if (w->failed != ERR_OK || w->switching) {
        return ERR_FULL;
    }
    if (w->block.buf != NULL && bytes > JOURNAL_BLOCK_MAX - w->block.used) {
        send_block(w);
    }
    if (w->block.buf == NULL && !begin_block(w)) {
        return ERR_FULL;
    }
    const bool     one  = bytes <= JOURNAL_BLOCK_MAX - w->block.used;
    const uint64_t need = one ? round_up(w->block.used + bytes) : (bytes / BLOCK_YIELD + 1ull) * JOURNAL_BLOCK_MAX;
    if (need <= current(w)->bytes - w->pos.offset) {
        w->batch_left = bytes;
        return ERR_OK;
    }
    if (w->pos.offset == JOURNAL_BLOCK_BYTES && w->block.count == 0) {
        journal_writer_fail(w, err_set(ERR_LIMIT, "a batch of %u bytes does not fit into a file of %llu", bytes,
                                       (unsigned long long)current(w)->bytes));
        return err_set(ERR_LIMIT, "%s", w->why);
    }
    if (w->block.count > 0) {
        send_block(w);
    }
    w->block.buf = NULL;
    w->switching = true;
    return ERR_FULL;
}

err_t journal_writer_put(journal_writer_t *w, const void *record, uint32_t len, int64_t mono_ns)
{
    const uint32_t bytes = journal_record_bytes(len);
    assert(bytes <= w->batch_left);
    if (w->failed != ERR_OK) {
        return ERR_FULL;
    }
    if (w->block.buf != NULL && bytes > JOURNAL_BLOCK_MAX - w->block.used) {
        send_block(w);
    }
    if (w->block.buf == NULL && !begin_block(w)) {
        return ERR_FULL;
    }
    const err_t err = journal_block_add(&w->block, record, len);
    assert(err == ERR_OK);
    if (w->block.count == 1) {
        w->block_since_ns = mono_ns;
    }
    w->batch_left -= bytes;
    if (w->batch_left == 0) {
        w->whole = w->block.first + w->block.count - 1;
    }
    return err;
}

/* ---- turns -------------------------------------------------------------------------------------------------------- */
static bool block_due(const journal_writer_t *w, int64_t mono_ns)
{
    if (w->block.buf == NULL || w->block.count == 0 || w->batch_left > 0) {
        return false;
    }
    return w->stopping || w->block.used >= JOURNAL_FLUSH_BYTES ||
           (w->power ? w->flight_count == 0 : mono_ns - w->block_since_ns >= JOURNAL_FLUSH_NS);
}

/* All that there is, is written; not yet synced perhaps. */
static bool is_quiet(const journal_writer_t *w)
{
    return w->flight_count == 0 && (w->block.buf == NULL || w->block.count == 0);
}

static bool sync_due(const journal_writer_t *w, int64_t mono_ns)
{
    if (w->syncing || w->writes_done == w->writes_synced) {
        return false;
    }
    return w->power || ((w->switching || w->stopping) && is_quiet(w)) || mono_ns - w->synced_ns >= JOURNAL_SYNC_NS;
}

/* The current file is written and synced: on to the next one, or the last words of an orderly stop. */
static uint32_t move_on(journal_writer_t *w)
{
    w->waiting = w->switching && w->file + 1 == w->file_count;
    if (w->switching && !w->waiting) {
        w->file++;
        w->switching = false;
        journal_pos_next_file(&w->pos);
        send_head(w);
        return 1;
    }
    if (w->stopping && !w->closed) {
        w->closed = true;
        if (current(w)->bytes - w->pos.offset >= JOURNAL_BLOCK_BYTES) {
            begin_block(w);
            send_block(w);
        }
        return 1;
    }
    return 0;
}

uint32_t journal_writer_turn(journal_writer_t *w, int64_t mono_ns)
{
    uint32_t n = reap(w, mono_ns, false);
    if (w->failed != ERR_OK) {
        return n;
    }
    if (block_due(w, mono_ns)) {
        send_block(w);
        n++;
    }
    if (sync_due(w, mono_ns)) {
        start_sync(w);
        n++;
    }
    if (is_quiet(w) && !w->syncing && w->writes_done == w->writes_synced) {
        n += move_on(w);
    }
    return n;
}

int64_t journal_writer_wait_ns(const journal_writer_t *w, int64_t mono_ns)
{
    int64_t wait = INT64_MAX;
    if (w->failed != ERR_OK) {
        return wait;
    }
    if (w->io.poll_fd < 0 && (w->flight_count > 0 || w->syncing)) {
        return 0;
    }
    if (!w->power && w->block.buf != NULL && w->block.count > 0) {
        wait = w->block_since_ns + JOURNAL_FLUSH_NS - mono_ns;
    }
    if (!w->power && !w->syncing && w->writes_done != w->writes_synced &&
        w->synced_ns + JOURNAL_SYNC_NS - mono_ns < wait) {
        wait = w->synced_ns + JOURNAL_SYNC_NS - mono_ns;
    }
    return wait > 0 ? wait : 0;
}

void journal_writer_stop(journal_writer_t *w)
{
    w->stopping = true;
}

bool journal_writer_stopped(const journal_writer_t *w)
{
    return w->failed != ERR_OK || (w->closed && is_quiet(w) && !w->syncing && w->writes_done == w->writes_synced);
}
