/* role_table: the supervisor's table of roles, object "roles" of its segment: who runs, in which segment, since when.
 * `hwal status` reads it, and a new supervisor adopts by it.
 *
 * Written by the supervisor alone; each row behind a sequence lock (even = whole). A process is the one meant only if
 * pid and start time agree (pids are used again). */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/types/err.h"
#include "ipc/segment.h"
#include "ipc/topology.h"

typedef enum role_status {
    ROLE_STATUS_NONE = 0, /* not part of this configuration */
    ROLE_STATUS_STARTING,
    ROLE_STATUS_RUNNING,
    ROLE_STATUS_BACKOFF, /* died; is started again at next_start_mono_ns */
    ROLE_STATUS_STOPPED, /* orderly */
    ROLE_STATUS_FAILED   /* given up: cannot start, or died too often */
} role_status_t;

typedef struct role_row {
    uint32_t lock;
    uint32_t status; /* role_status_t */
    int32_t  pid;    /* 0 = none */
    uint32_t gen;
    uint32_t epoch;
    uint32_t restarts;
    int64_t  pid_start_ticks; /* field 22 of /proc/pid/stat */
    int64_t  next_start_mono_ns;
    int32_t  last_exit; /* exit code, or -signal */
    uint32_t adopted;
    char     segment[32]; /* "engine.7"; empty = none */
    uint8_t  pad[44];
} role_row_t;

_Static_assert(sizeof(role_row_t) == 128, "mapped by others: bump SEGMENT_VERSION");

typedef struct role_table {
    uint64_t   session; /* of the journal */
    int64_t    started_utc_ns;
    uint32_t   epoch;
    uint32_t   gen_next;
    uint32_t   durability; /* config_durability_t */
    uint32_t   reserved;
    uint64_t   shm_bytes; /* of all segments of this start */
    char       journal_dir[216];
    role_row_t rows[ROLE_COUNT];
} role_table_t;

_Static_assert(offsetof(role_table_t, rows) == 256, "mapped by others: bump SEGMENT_VERSION");

/* role_table_read: one row, whole. ERR_AGAIN when the supervisor died while writing it. */
err_t role_table_read(const role_table_t *table, role_t role, role_row_t *out);
void  role_table_write(role_table_t *table, role_t role, const role_row_t *row);
/* role_start_ticks: when a process began, field 22 of /proc/pid/stat; 0 when there is none (a zombie is none).
 * role_alive: is this process the one of the row, and does it live? */
int64_t     role_start_ticks(int32_t pid);
bool        role_alive(const role_row_t *row);
const char *role_status_str(uint32_t status);
