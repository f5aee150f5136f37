#include "tools/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

err_t recorder_open(recorder_t *r, const char *path, const recording_about_t *about, const book_cfg_t *book)
{
    *r    = (recorder_t){.books = {.cfg = *book}, .path = path};
    r->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (r->fd < 0) {
        return err_set(errno == EEXIST ? ERR_EXISTS : ERR_IO, "%s: %s", path,
                       errno == EEXIST ? "there is such a file, and nothing is overwritten" : strerror(errno));
    }
    const size_t align = recording_align(), bytes = recording_writer_footprint();
    void        *mem = aligned_alloc(align, (bytes + align - 1) / align * align);
    err_t err = mem ? recording_create(mem, r->fd, path, about, &r->writer) : err_set(ERR_LIMIT, "out of memory");
    if (err) {
        free(mem);
        close(r->fd);
        unlink(path); /* nothing but a head, if that */
    }
    return err;
}

/* ---- syncs ------------------------------------------------------------------------------------------------------------- */
static err_t refresh(void *ctx, const msg_t *msg)
{
    recorder_t             *r     = ctx;
    const recording_entry_t entry = {.msg   = *msg,
                                     .ts_ns = r->ts_ns,
                                     .topic = *(const uint32_t *)msg->body, /* instrument_id stands first in both */
                                     .flags = RECORDING_REFRESH};
    return recording_write(r->writer, &entry);
}

static err_t sync_write(recorder_t *r)
{
    err_t err = recording_sync(r->writer);
    for (uint32_t i = 1; !err && i <= RECORD_BOOKS_MAX; i++) {
        if (r->books.ins[i].def.instrument_id != 0) {
            const msg_t def = record_books_def(&r->books, i);
            err             = refresh(r, &def);
        }
    }
    for (uint32_t i = 1; !err && i <= RECORD_BOOKS_MAX; i++) {
        err = record_books_snapshot(&r->books, i, r->ts_ns, refresh, r);
    }
    recording_synced(r->writer);
    r->fresh = r->stale = false;
    r->syncs++;
    return err;
}

err_t recorder_define(recorder_t *r, const msg_t *def)
{
    bool        fresh;
    const err_t err = record_books_define(&r->books, def, &fresh);
    r->fresh |= fresh;
    return err;
}

err_t recorder_write(recorder_t *r, const recording_entry_t *entry)
{
    r->ts_ns  = entry->ts_ns > r->ts_ns ? entry->ts_ns : r->ts_ns;
    err_t err = r->fresh || (r->books.partial == 0 && recording_sync_due(r->writer)) ? sync_write(r) : ERR_OK;
    err       = err ? err : recording_write(r->writer, entry);
    if (!err) {
        r->stale = true;
        if (entry->topic <= RECORD_BOOKS_MAX) {
            r->seen[entry->topic] = true;
        }
        err = record_books_apply(&r->books, &entry->msg, r->ts_ns);
    }
    return err;
}

static err_t lost_of(recorder_t *r, uint8_t source, uint32_t id, uint64_t from, uint64_t to)
{
    const feed_state_t      state = {.instrument_id = id,
                                     .health        = FEED_BROKEN,
                                     .reason        = FEED_REASON_LOST,
                                     .seq_from      = from,
                                     .seq_to        = to,
                                     .ts_recv_ns    = r->ts_ns};
    const recording_entry_t entry = {.msg    = {.type = MSG_FEED_STATE, .body = &state},
                                     .seq    = to,
                                     .ts_ns  = r->ts_ns,
                                     .topic  = id,
                                     .source = source,
                                     .flags  = RECORDING_LOSS};
    return recorder_write(r, &entry);
}

err_t recorder_lost(recorder_t *r, uint8_t source, uint64_t from, uint64_t to)
{
    err_t err = ERR_OK;
    bool  any = false;
    r->lost += to - from + 1;
    for (uint32_t i = 1; !err && i <= RECORD_BOOKS_MAX; i++) {
        if (r->seen[i]) {
            any = true;
            err = lost_of(r, source, i, from, to);
        }
    }
    return any ? err : lost_of(r, source, 0, from, to); /* nobody's yet: one, of all */
}

err_t recorder_flush(recorder_t *r)
{
    return recording_flush(r->writer);
}

err_t recorder_close(recorder_t *r, int64_t end_ns)
{
    err_t err = r->stale || r->fresh ? sync_write(r) : ERR_OK;
    err       = err ? err : recording_finish(r->writer, end_ns);
    r->bytes  = recording_bytes(r->writer);
    if (close(r->fd) != 0 && !err) {
        err = err_set(ERR_IO, "%s: close: %s", r->path, strerror(errno));
    }
    record_books_free(&r->books);
    free(r->writer);
    r->writer = NULL;
    return err;
}
