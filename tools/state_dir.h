/* state_dir: the durable directory of an instance: what outlives every process and the machine's power.
 *
 *   <journal.dir>, 0700
 *     state                    one line: epoch N boot N first N session X config X core N instance NAME
 *     snapshot.<20 digits>     by engine sequence; snapshot.tmp until it is whole
 *     000001.hj 000002.hj ...  journal files, the newest a spare that waits; spare.tmp until it is filled with zeros
 *     log                      what the roles said; log.old when it grew
 *   <journal.dir>.old          the session before, when the last start was a new one
 *
 * state     written to a temporary name, fsync, rename, fsync of the directory: a number is durable before it is used.
 *           epoch: of the newest engine life; boot: starts of a supervisor that found nobody alive; first: boot at which
 *           the session began; config and core: what the journal was made with.
 * Safety    everything is opened relative to one directory descriptor, O_NOFOLLOW; the directory is ours alone and held
 *           by a lock (flock) as long as a supervisor works on it.
 * Owner     the supervisor. Cold. One thread.
 * Errors    ERR_IO, ERR_EXISTS (somebody works on it), ERR_STATE (another session's, configuration's, instance's),
 *           ERR_LIMIT (disk full, max_bytes), ERR_PARSE; a sentence says what to do. */
#pragma once

#include <stdbool.h>

#include "ipc/journal.h"
#include "ipc/snapshot.h"
#include "tools/config.h"

#define STATE_FILES_MAX 250u

typedef struct state_dir {
    int          fd;
    char         path[216];
    char         instance[40];
    journal_id_t id;
    uint32_t     epoch;
    uint32_t     boot;
    uint32_t     first;      /* boot of the session's first start */
    bool         fresh;      /* no session was here: this start begins one */
    bool         moved;      /* the one that was here is <dir>.old now */
    int64_t      file_bytes; /* of a journal file */
    int64_t      max_bytes;
    int          spare_fd; /* a journal file that is being made, -1 = none */
    uint64_t     spare_number;
    int64_t      spare_done; /* bytes of it that are written */
} state_dir_t;

typedef enum state_kind { STATE_JOURNAL = 0, STATE_SNAPSHOT = 1 } state_kind_t;

/* state_dir_open: make it if it is not there and read its state. anew: what is there becomes <dir>.old first (the one
 * before is removed). A fresh session has a random id, epoch config.engine.epoch - 1, and nothing durable yet: the first
 * state_dir_raise makes it so. */
err_t state_dir_open(const config_t *config, bool anew, state_dir_t *out);
void  state_dir_close(state_dir_t *dir);

/* state_dir_abandon: the start failed: a session that was begun by it goes, and what was moved aside comes back. */
void state_dir_abandon(state_dir_t *dir);

/* state_dir_raise: epoch and boot, durable when it returns. ERR_LIMIT when epoch is above 4095. */
err_t state_dir_raise(state_dir_t *dir, uint32_t epoch, uint32_t boot);

/* state_dir_list: numbers of journal files or snapshots, rising; at most cap, the newest ones; *count is how many. ERR_IO:
 * the directory cannot be read: that is not "none".
 * state_dir_file: open one; flags of open(2). -1 and a sentence. */
err_t state_dir_list(const state_dir_t *dir, state_kind_t kind, uint64_t *numbers, uint32_t cap, uint32_t *count);
int   state_dir_file(const state_dir_t *dir, state_kind_t kind, uint64_t number, int flags);

/* state_dir_snapshot_tmp: an empty snapshot.tmp to write to, -1 and a sentence. state_dir_snapshot_keep: it is whole (its
 * head says so): fsync, its name by its sequence, fsync of the directory. ERR_NOT_FOUND when nothing was written. */
int   state_dir_snapshot_tmp(const state_dir_t *dir);
err_t state_dir_snapshot_keep(const state_dir_t *dir, snapshot_info_t *info);

/* state_dir_spare: go on making the next journal file, at most step bytes of zeros: ERR_AGAIN not yet done; ERR_OK it
 * is there under its name; ERR_LIMIT max_bytes is reached (files that nobody needs are removed first) or the disk is
 * full; nothing of it is left then. */
err_t state_dir_spare(state_dir_t *dir, int64_t step);

/* state_dir_bytes: of all journal files. state_dir_used: does that file hold a block or a head, or is it a spare? */
int64_t state_dir_bytes(const state_dir_t *dir);
bool    state_dir_used(const state_dir_t *dir, uint64_t number);

/* state_dir_trim: remove journal files that lie wholly before the newest good snapshot; returns how many. */
uint32_t state_dir_trim(const state_dir_t *dir);

/* state_dir_lock: an exclusive lock on a file of any directory: *fd holds it. ERR_EXISTS names the holder's pid. */
err_t state_dir_lock(int dir_fd, const char *name, int *fd);
