/* attach: an instance, living or dead, as another process sees it: its segments mapped read-only, its role table, its
 * published records and rings. What `hwal status`, `tail`, `books` ... `postmortem` and libhwal (hwal.h) stand on.
 *
 *   name + uid ─▶ directory ─▶ newest supervisor.<gen> ─▶ role table ─▶ one segment of each role (+ words, if allowed)
 *                                     (none, or the table names a file that is gone: the newest file of the role)
 *
 * An observer maps and reads; no process of the instance knows of it, and killing it changes nothing. A writer that dies
 * in the middle of something leaves a place that stays odd (ERR_AGAIN) or a message that does not verify (ERR_PARSE):
 * such a place is passed over and counted in `damaged`, never believed.
 *
 * Silent   an engine whose heartbeat is older than ATTACH_STALE_NS: what can be read is read all the same, as evidence.
 * Owner    the caller; attach_close gives all back. A view is of the segments as they were when it was opened: a role
 *          that starts anew has a new one (attach_again). One thread. */
#pragma once

#include <stdbool.h>

#include "core/ref/instrument.h"
#include "core/types/time.h"
#include "ipc/control.h"
#include "ipc/counters.h"
#include "ipc/message.h"
#include "ipc/records.h"
#include "ipc/ring_broadcast.h"
#include "ipc/ring_lossless.h"
#include "ipc/role_table.h"
#include "ipc/segment.h"
#include "ipc/topology.h"
#include "ipc/words.h"

#define ATTACH_STALE_NS (2 * NS_PER_S)
#define ATTACH_FILES_MAX 4096u

/* ---- the instance -------------------------------------------------------------------------------------------------- */
typedef struct attach_instrument {
    instrument_def_t def; /* instrument_id 0 = not known */
    char             symbol[SYMBOL_MAX + 1];
} attach_instrument_t;

typedef struct attach_message { /* a copy of one message, verified */
    msg_t       msg;            /* points into bytes */
    ring_meta_t meta;
    uint64_t    seq; /* of a ring: the sequence; of a record: its version */
    _Alignas(8) uint8_t bytes[MESSAGE_BYTES_MAX];
} attach_message_t;

typedef struct attach {
    char                instance[40];
    uid_t               uid;
    int                 dir_fd;
    segment_t           role[ROLE_COUNT]; /* head NULL = none */
    char                file[ROLE_COUNT][32];
    role_row_t          row[ROLE_COUNT];
    bool                row_known[ROLE_COUNT];
    const role_table_t *table; /* NULL = no supervisor's segment */
    segment_t           words_segment;
    const words_t      *words; /* NULL: not there, or not ours to read */
    uint64_t            damaged;
    char refused[256]; /* a file of supervisor or engine that is there and cannot be believed: why; "" = none */
    attach_instrument_t *instruments;    /* by id, up to instrument_max; allocated */
    uint32_t             instrument_max; /* places for instruments that the engine has; 0 = none is known */
} attach_t;

/* attach_open: ERR_NOT_FOUND (no directory, or neither engine, supervisor nor words in it), ERR_IO, ERR_STATE with a sentence;
 * then there is nothing to close. A segment that cannot be believed counts as none. */
err_t attach_open(attach_t *a, const char *instance, uid_t uid);
void  attach_close(attach_t *a);

/* attach_left: is there a supervisor's or an engine's segment, more than the kill words that outlive both?
 * attach_which: the instance that is meant: named if it is not empty, else the only one of the user that lives, else the
 * only one that left something, else "default"; list (cap bytes): all of them in words, "a, b (silent)". words_do: one of
 * which only its words are left counts too. Opens and closes every instance there is. */
bool attach_left(const attach_t *a);
void attach_which(uid_t uid, const char *named, bool words_do, char out[40], char *list, size_t cap);

/* attach_again: if a role has another segment now than the one that was opened, be it of the instance's next start after
 * an orderly stop, open all of them anew; true when it
 * did: what was joined before is gone. Cost: a listing of the directory. */
bool attach_again(attach_t *a);

/* attach_engine: look at another engine segment (evidence of an earlier life) instead, until attach_close. */
err_t attach_engine(attach_t *a, const char *file);

/* attach_alive: does the process of the role's row live? attach_age_ns: since its last heartbeat; -1 = none yet.
 * attach_stale: the engine is silent, or there is none. */
bool    attach_alive(const attach_t *a, role_t role);
int64_t attach_age_ns(const attach_t *a, role_t role);
bool    attach_stale(const attach_t *a);

/* Objects of a role's segment; NULL when it has none, or one that is not whole. */
const control_page_t *attach_control(const attach_t *a, role_t role);
const counters_t     *attach_counters(const attach_t *a, role_t role);
const ring_cursor_t  *attach_cursor(const attach_t *a, role_t role, ring_id_t ring);

/* attach_ring: join a broadcast ring. attach_log: a role's log. attach_next: its next message, verified.
 *   ERR_OK, ERR_EMPTY, ERR_GAP (reader->lost_from, lost_to), ERR_PARSE (passed over, counted in damaged). */
err_t attach_ring(const attach_t *a, ring_id_t ring, ring_start_t start, ring_reader_t *reader);
err_t attach_log(const attach_t *a, role_t role, ring_start_t start, ring_reader_t *reader);
err_t attach_next(attach_t *a, ring_reader_t *reader, attach_message_t *out);

/* attach_records: join a record array; false when there is none. attach_record: place index, verified; ERR_EMPTY when
 * it was never written, ERR_AGAIN and ERR_PARSE (counted in damaged) when it cannot be believed. */
bool  attach_records(const attach_t *a, record_id_t id, records_reader_t *reader);
err_t attach_record(attach_t *a, const records_reader_t *reader, uint32_t index, attach_message_t *out);

/* attach_instruments: read the definitions again: new ones may have come. attach_instrument: by id; NULL = unknown.
 * attach_symbol: by what a person gave, its symbol, or its id where several venues have an instrument of that symbol;
 * NULL and a sentence: none, or which ids there are. */
void                       attach_instruments(attach_t *a);
const attach_instrument_t *attach_instrument(const attach_t *a, uint32_t instrument_id);
const attach_instrument_t *attach_symbol(const attach_t *a, const char *symbol);

/* ---- what lies there ----------------------------------------------------------------------------------------------- */
typedef struct attach_file {
    char     name[32]; /* "engine.7" */
    role_t   role;
    uint32_t gen;
    uint64_t bytes;
} attach_file_t;

/* attach_files: the segments of a directory, by role, newest first; at most cap of them are stored. Returns how many.
 * attach_instances: names of all instances of a user, sorted; how many. */
uint32_t attach_files(int dir_fd, attach_file_t *out, uint32_t cap);
uint32_t attach_instances(uid_t uid, char (*names)[40], uint32_t cap);

/* attach_number: text as a whole number from min to max. attach_user: a user's name, or a uid in digits. */
bool attach_number(const char *text, uint32_t min, uint32_t max, uint32_t *out);
bool attach_id(const char *text, uint64_t *out); /* an id: digits, 64 bits, not 0 */
bool attach_user(const char *text, uid_t *uid);
