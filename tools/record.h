/* record: the parts of `hwal record`: of a living instance (record.c), of captures (record_import.c), and what looks at
 * recordings (record_show.c: info, verify; record_export.c); record_import_dbn.c. argv[0] is the part's name; each returns the exit code.
 * What the parts and `hwal replay` share is here too. */
#pragma once

#include "ipc/recording.h"
#include "tools/record_books.h"

int record_import(int argc, char **argv);
int record_import_dbn(const char *out, char *const *files, uint32_t count, bool json,
                      bool quiet); /* of Databento files */
int record_info(int argc, char **argv);
int record_verify(int argc, char **argv);
int record_export(int argc, char **argv);

typedef struct record_file { /* a recording, open for reading */
    int                 fd;
    recording_reader_t *reader;
} record_file_t;

/* record_open: ERR_IO, and what recording_open says; nothing is left open then. path must stay. record_close. */
err_t record_open(record_file_t *f, const char *path);
void  record_close(record_file_t *f);

/* record_instruments: the definitions of the last sync, which are all there are, into books; the file stands at its first
 * entry after it. Errors: of reading, of a definition. */
err_t record_instruments(record_file_t *f, record_books_t *books);

/* record_time: text as UTC nanoseconds: digits alone are those, else 2024-08-08T12:00:00[.123][Z]. False: neither. */
bool record_time(const char *text, int64_t *out);
