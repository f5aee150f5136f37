/* recorder: a recording (ipc/recording.h) as `hwal record` makes it, of a living instance or of captures: the writer, and
 * beside it the books, so that a sync stands in the file every megabyte and at its end.
 *
 * A sync holds every definition, and each book that is known; definitions stand nowhere else. What is
 * newly defined makes a sync before the next entry; else none stands between the parts of a message, and the book of one
 * that is not whole is left out.
 *
 * File     made with O_EXCL: nothing is ever overwritten; mode 0640 less the umask. It has its name from the beginning and
 *          its foot at the end: one without a foot is still being written, or its recorder died; both are readable.
 * Memory   all of it is allocated by recorder_open but the books (record_books.h). One thread. */
#pragma once

#include "ipc/recording.h"
#include "tools/record_books.h"

typedef struct recorder {
    recording_writer_t *writer;
    record_books_t      books;
    const char         *path;
    int                 fd;
    int64_t             ts_ns;                      /* of the newest entry */
    bool                stale;                      /* something was written since the last sync */
    bool                fresh;                      /* something was defined since */
    bool                seen[RECORD_BOOKS_MAX + 1]; /* instruments that an entry was about */
    uint64_t            syncs, lost;
    uint64_t            bytes; /* of the file, when it is closed */
} recorder_t;

/* recorder_open: begin path. book: how books are sized. ERR_EXISTS (it is there), ERR_IO, ERR_LIMIT with a sentence. */
err_t recorder_open(recorder_t *r, const char *path, const recording_about_t *about, const book_cfg_t *book);

/* recorder_define: an instrument, before the first message about it. recorder_write: an entry. recorder_lost: messages from
 * to to of a source never came: each instrument that there were entries of (they may be any's) is BROKEN/LOST from here on in the
 * file.
 * Errors   of recording_write; ERR_ARG, ERR_LIMIT of a definition. */
err_t recorder_define(recorder_t *r, const msg_t *def);
err_t recorder_write(recorder_t *r, const recording_entry_t *entry);
err_t recorder_lost(recorder_t *r, uint8_t source, uint64_t from, uint64_t to);

/* recorder_flush: what was taken is in the file. recorder_close: the last sync, index and foot (end_ns: recording_finish), and
 * close; after an error of the writer only close. Gives the memory back. */
err_t recorder_flush(recorder_t *r);
err_t recorder_close(recorder_t *r, int64_t end_ns);
