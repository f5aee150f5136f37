/* The journal role: takes what the engine put into jrn, and puts it on file (tools/journal_writer.h).
 *
 *   jrn ring of the engine ──peek, whole batches──▶ writer ──written──▶ cursor: taken
 *                                                         └──durable──▶ object "durable": the adapter waits for it
 *
 * A record is copied once, from the slot into a block; its slot is given back when the block is on file. A new engine's
 * ring is begun when the old one's is on file to its end: the supervisor starts the one only after the other, and this
 * role keeps to it as well.
 *
 * When the writer fails the role stays, in state FAIL, and takes nothing any more: the engine denies new orders (154) and
 * halts when the ring is full. It is not started again by itself: an fsync that failed once may succeed the next time and
 * have lost what it was for. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/engine/engine.h"
#include "ipc/role_wait.h"
#include "ipc/sha256.h"
#include "ipc/version.h"
#include "tools/config.h"
#include "tools/journal_writer.h"

#define BEAT_NS (100 * NS_PER_MS) /* longest sleep: the heartbeat goes on */
#define TURN_RECORDS 4096u        /* taken in one turn at most, and the rest of a batch */

typedef struct journal_role {
    role_ctx_t      *ctx;
    journal_writer_t writer;
    ring_cursor_t   *durable;
    ring_cursor_t   *taken;

    bool              joined;     /* reader is on a ring */
    uint32_t          ring_epoch; /* of the newest life on file or in the reader */
    lossless_reader_t reader;
    uint64_t          life;  /* records before message 1 of the ring */
    uint32_t          seen;  /* messages behind reader.next that the writer has */
    uint32_t          batch; /* records of the current batch that it does not have yet */
    bool              full;  /* the writer could not take the next record */
    bool              said_full;
    uint64_t          put; /* number of the last record that it has */
} journal_role_t;

/* ---- the ring ----------------------------------------------------------------------------------------------------- */
/* join: go on with the ring of a segment behind message `taken`. */
static err_t join(journal_role_t *j, const segment_t *seg, uint64_t taken)
{
    size_t bytes = 0;
    void  *ring  = segment_find(seg, "jrn", SEGMENT_LOSSLESS, &bytes);
    if (ring == NULL) {
        return err_set(ERR_PARSE, "journal: %s.%u has no jrn ring", seg->head->role, seg->gen);
    }
    const err_t err = lossless_reader_join(&j->reader, ring, bytes, j->taken, taken);
    if (err != ERR_OK) {
        return err_wrap(err, "journal: jrn of %s.%u behind record %llu", seg->head->role, seg->gen,
                        (unsigned long long)j->put);
    }
    j->joined     = true;
    j->ring_epoch = seg->epoch;
    j->life       = j->put - taken;
    j->seen       = 0;
    journal_writer_life(&j->writer, j->ring_epoch, j->life);
    log_write(&j->ctx->log, LOG_INFO, "journal: record %llu on, jrn of %s.%u behind message %llu",
              (unsigned long long)j->put, seg->head->role, seg->gen, (unsigned long long)taken);
    return ERR_OK;
}

static bool drained(const journal_role_t *j)
{
    return !j->joined || (j->seen == 0 && lossless_written(&j->reader) == j->reader.next - 1);
}

/* follow: on to the newest engine's ring when the one before is on file. At the start: where the files say. */
static err_t follow(journal_role_t *j)
{
    const segment_t *newest = &j->ctx->peer[ROLE_ENGINE];
    if (newest->head == NULL || newest->epoch <= j->ring_epoch || !drained(j)) {
        return ERR_OK;
    }
    return join(j, newest, 0);
}

/* Where the last life of this role stopped: in the ring of the engine life whose records are the newest on file. */
static err_t resume(journal_role_t *j, const journal_end_t *end)
{
    const segment_t *seg[] = {&j->ctx->peer_before[ROLE_ENGINE], &j->ctx->peer[ROLE_ENGINE]};
    j->ring_epoch          = end->epoch;
    for (size_t i = 0; i < 2; i++) {
        if (seg[i]->head != NULL && seg[i]->epoch == end->epoch && end->epoch != 0) {
            return join(j, seg[i], end->pos.record - end->life);
        }
    }
    return ERR_OK;
}

/* The next batch of the ring: how many records, and their bytes on file. ERR_EMPTY; ERR_PARSE: not what an engine writes. */
static err_t peek_batch(const journal_role_t *j, uint32_t *records, uint32_t *bytes)
{
    uint64_t sum = 0;
    *records     = 1;
    for (uint32_t i = 0; i < *records; i++) {
        ring_meta_t meta;
        const void *slot;
        const err_t err = lossless_peek_at(&j->reader, j->seen + i, &meta, &slot);
        if (err == ERR_EMPTY && i == 0) {
            return ERR_EMPTY;
        }
        if (err != ERR_OK || meta.len < RECORD_PREFIX + 8 || meta.len > RECORD_BYTES_MAX) {
            return err_set(ERR_PARSE, "jrn message %llu: %s", (unsigned long long)(j->reader.next + j->seen + i),
                           err == ERR_EMPTY ? "a batch that was not committed whole"
                                            : "damaged, or of impossible length");
        }
        const record_head_t head = record_head_get(slot);
        if (head.kind != (i == 0 ? RECORD_INPUT : RECORD_OUTPUT) || (i == 0 && head.outputs > j->reader.mask)) {
            return err_set(ERR_PARSE, "jrn message %llu: no %s, or more outputs than the ring holds",
                           (unsigned long long)(j->reader.next + j->seen + i), i == 0 ? "input" : "output");
        }
        *records = i == 0 ? head.outputs + 1 : *records;
        sum += journal_record_bytes(meta.len);
    }
    *bytes = (uint32_t)sum; /* at most 2^20 slots of 1,280 bytes */
    return ERR_OK;
}

static void closed(journal_role_t *j)
{
    role_fail(j->ctx, j->writer.why);
}

/* Batches from the ring into the writer. Returns how many records. */
static uint32_t take(journal_role_t *j, int64_t mono_ns)
{
    uint32_t n = 0;
    while (j->joined && n < TURN_RECORDS) {
        if (j->batch == 0) {
            uint32_t records, bytes;
            err_t    err = peek_batch(j, &records, &bytes);
            if (err == ERR_OK) {
                err = journal_writer_batch(&j->writer, bytes);
            }
            if (err == ERR_PARSE) { /* not the disk's fault, and nothing more can be taken all the same */
                journal_writer_fail(&j->writer, err);
            }
            j->full = err == ERR_FULL;
            if (err != ERR_OK) {
                return n;
            }
            j->batch = records;
        }
        ring_meta_t meta;
        const void *slot;
        const err_t peeked = lossless_peek_at(&j->reader, j->seen, &meta, &slot);
        assert(peeked == ERR_OK); /* as peek_batch saw it: what was committed stays until it is taken */
        j->full = journal_writer_put(&j->writer, slot, meta.len, mono_ns) != ERR_OK;
        if (j->full) {
            return n;
        }
        j->seen++;
        j->batch--;
        j->put++;
        n++;
    }
    return n;
}

/* What came of it: slots given back, the durable cursor, counters. */
static uint32_t publish(journal_role_t *j)
{
    const journal_writer_t       *w     = &j->writer;
    const journal_writer_stats_t *stats = &w->stats;
    counters_t                   *c     = j->ctx->counters;
    uint32_t                      n     = 0;
    if (j->joined && w->written >= j->life + j->reader.next) {
        n = (uint32_t)(w->written - j->life - (j->reader.next - 1));
        lossless_take_n(&j->reader, n);
        j->seen -= n;
        counter_add(c, COUNTER_JOURNAL_RECORDS, n);
    }
    if (atomic_load_explicit(&j->durable->taken, memory_order_relaxed) != w->durable) {
        atomic_store_explicit(&j->durable->taken, w->durable, memory_order_release);
        if (w->power) { /* who holds orders back sleeps until now */
            role_bell(j->ctx, ROLE_SIM);
        }
        n++;
    }
    counter_add(c, COUNTER_JOURNAL_BYTES, stats->bytes - counter_get(c, COUNTER_JOURNAL_BYTES));
    counter_add(c, COUNTER_JOURNAL_SYNCS, stats->syncs - counter_get(c, COUNTER_JOURNAL_SYNCS));
    counter_add(c, COUNTER_JOURNAL_FILES, stats->files - counter_get(c, COUNTER_JOURNAL_FILES));
    return n;
}

/* ---- files and news ----------------------------------------------------------------------------------------------- */
static err_t writer_file(const role_file_t *file, journal_writer_file_t *out)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0) {
        return err_set(ERR_IO, "file %06llu.hj: %s", (unsigned long long)file->number, strerror(errno));
    }
    const uint64_t bytes = ((uint64_t)st.st_size + JOURNAL_BLOCK_BYTES - 1) & ~(JOURNAL_BLOCK_BYTES - 1ull);
    *out                 = (journal_writer_file_t){.fd = file->fd, .number = file->number, .bytes = bytes};
    return ERR_OK;
}

/* Places and descriptors of files that are full are given back, or a long life would run out of them. */
static void files_drop(journal_role_t *j)
{
    for (uint32_t i = 0; i < j->ctx->file_count; i++) {
        role_file_t *file = &j->ctx->files[i];
        if (file->kind == ROLE_FILE_JOURNAL && file->fd >= 0 && file->number < j->writer.files[0].number) {
            close(file->fd);
            file->fd = -1;
        }
    }
}

static void file_take(journal_role_t *j, role_file_t *given)
{
    const journal_writer_t *w      = &j->writer;
    const uint64_t          newest = w->file_count > 0 ? w->files[w->file_count - 1].number : 0;
    journal_writer_file_t   file;
    err_t                   err = ERR_EXISTS; /* an adopting supervisor offers what we have */
    if (given->number > newest) {
        err = writer_file(given, &file);
        err = err == ERR_OK ? journal_writer_file(&j->writer, &file) : err;
        if (err != ERR_OK) {
            log_write(&j->ctx->log, LOG_ERROR, "journal: a file cannot be used: %s", err_msg());
        }
    }
    if (err != ERR_OK) {
        close(given->fd);
        given->fd = -1;
    }
    files_drop(j);
}

static void news(journal_role_t *j)
{
    uint32_t    which;
    role_news_t what;
    /* A second new engine would unmap the ring that is being drained. */
    const bool behind = j->joined && j->ctx->peer[ROLE_ENGINE].epoch > j->ring_epoch && !j->writer.waiting;
    while (!behind && (what = role_news(j->ctx, &which)) != ROLE_NEWS_NONE) {
        if (what == ROLE_NEWS_PEER && which == ROLE_ENGINE) {
            return;
        }
        if (what == ROLE_NEWS_FILE && j->ctx->files[which].kind == ROLE_FILE_JOURNAL) {
            file_take(j, &j->ctx->files[which]);
        }
    }
}

/* The files that were handed over at the start, their end, and a writer that goes on from there. */
static err_t open_files(journal_role_t *j, journal_end_t *end)
{
    role_ctx_t           *ctx = j->ctx;
    int                   fds[JOURNAL_WRITER_FILES];
    uint64_t              numbers[JOURNAL_WRITER_FILES];
    journal_writer_file_t files[JOURNAL_WRITER_FILES];
    uint32_t              count = 0;
    for (uint32_t i = 0; i < ctx->file_count && count < JOURNAL_WRITER_FILES; i++) {
        if (ctx->files[i].kind == ROLE_FILE_JOURNAL) {
            const err_t err = writer_file(&ctx->files[i], &files[count]);
            if (err != ERR_OK) {
                return err;
            }
            fds[count]     = files[count].fd;
            numbers[count] = files[count].number;
            count++;
        }
    }
    const char          *why;
    journal_reader_t    *reader = NULL;
    journal_writer_cfg_t cfg    = {
           .id = {.session = ctx->session, .config_hash = config_hash(ctx->config), .core_version = ENGINE_CORE_VERSION},
           .power    = ctx->config->journal.durability == DURABILITY_POWER,
           .build_id = version_build_id()};
    journal_io_open(&cfg.io, &why);
    if (why[0] != '\0') {
        log_write(&ctx->log, LOG_WARN, "journal: io_uring is refused (%s): pwrite and fdatasync instead", why);
    }
    err_t      err   = journal_open(fds, numbers, count, &cfg.id, &reader);
    const bool fresh = err == ERR_NOT_FOUND;
    if (!fresh) {
        err = err == ERR_OK ? journal_scan_end(reader, true, end) : err;
    }
    if (err == ERR_OK && end->note[0] != '\0') {
        log_write(&ctx->log, LOG_WARN, "journal: goes on behind record %llu: %s", (unsigned long long)end->pos.record,
                  end->note);
    }
    if (err == ERR_OK || fresh) {
        err = journal_writer_open(&j->writer, &cfg, files, count, fresh ? NULL : end);
    }
    journal_close(reader);
    return err;
}

/* ---- the role ----------------------------------------------------------------------------------------------------- */
static void sleep_until_due(journal_role_t *j)
{
    role_arm(j->ctx);
    uint32_t records, bytes;
    int64_t  wait_ns = journal_writer_wait_ns(&j->writer, role_mono_ns());
    if (j->joined && !j->full && j->writer.failed == ERR_OK && peek_batch(j, &records, &bytes) != ERR_EMPTY) {
        wait_ns = 0; /* came while we were arming */
    }
    struct pollfd io = {.fd = j->writer.failed == ERR_OK ? j->writer.io.poll_fd : -1, .events = POLLIN};
    role_wait(j->ctx, &io, 1, wait_ns < BEAT_NS ? wait_ns : BEAT_NS);
}

static void loop(journal_role_t *j)
{
    role_ctx_t *ctx      = j->ctx;
    bool        stopping = false;
    while (!(stopping && journal_writer_stopped(&j->writer))) {
        const int64_t mono_ns = role_mono_ns();
        uint32_t      n       = journal_writer_turn(&j->writer, mono_ns);
        n += publish(j);
        if (j->writer.failed != ERR_OK &&
            atomic_load_explicit(&ctx->control->state, memory_order_relaxed) != ROLE_FAIL) {
            closed(j);
        }
        news(j);
        if (!stopping && follow(j) != ERR_OK) {
            journal_writer_fail(&j->writer, ERR_STATE);
        }
        n += stopping ? 0 : take(j, mono_ns);
        if (j->writer.waiting != j->said_full) {
            j->said_full = j->writer.waiting;
            log_write(&ctx->log, j->said_full ? LOG_ERROR : LOG_INFO, "journal: %s",
                      j->said_full ? "file full and no next one: nothing is written" : "a next file is there");
        }
        role_housekeep(ctx, mono_ns);
        counter_add(ctx->counters, COUNTER_TURNS, 1);
        if (!stopping && role_stopping(ctx) && (drained(j) || j->writer.waiting || j->writer.failed != ERR_OK)) {
            stopping = true;
            journal_writer_stop(&j->writer);
            if (j->writer.failed == ERR_OK) {
                control_state(ctx->control, ROLE_STOPPING);
            }
        }
        if (n == 0) {
            sleep_until_due(j);
        }
    }
}

int journal_main(role_ctx_t *ctx)
{
    size_t         bytes = 0;
    journal_end_t  end   = {0};
    journal_role_t j     = {.ctx     = ctx,
                            .durable = segment_find(&ctx->own, "durable", SEGMENT_CURSORS, &bytes),
                            .taken   = &ctx->cursors[RING_ID_JRN]};
    if (j.durable == NULL || bytes < sizeof *j.durable) {
        return role_fail(ctx, "journal: its segment has no object \"durable\"");
    }
    err_t err = open_files(&j, &end);
    if (err != ERR_OK) {
        return role_fail(ctx, err_msg());
    }
    j.put = j.writer.written;
    err   = resume(&j, &end);
    err   = err == ERR_OK ? follow(&j) : err;
    if (err != ERR_OK) {
        return role_fail(ctx, err_msg());
    }
    atomic_store_explicit(&j.durable->taken, j.writer.durable, memory_order_release);
    (void)sha256_begin(); /* what libcrypto opens, it opens now */
    role_sandbox(ctx);
    control_state(ctx->control, ROLE_RUN);
    loop(&j);
    const bool failed = j.writer.failed != ERR_OK;
    journal_writer_close(&j.writer);
    if (!failed) {
        control_state(ctx->control, ROLE_HALT);
    }
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
