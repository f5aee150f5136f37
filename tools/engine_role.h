/* engine_role: the engine as a process, and its birth.
 *
 *   engine_genesis   the arena that a configuration asks for, before any input: the snapshot at sequence 0 with which a
 *                    journal begins
 *   engine_main      (ipc/role.h) one life: snapshot and journal into an arena (tools/recover.h), what became of the
 *                    last life's requests, BOOT, then the loop (tools/engine_loop.h) until stop, fence or failure
 *
 * Life     RECOVERING with progress ▸ sandbox ▸ BOOT, what was never sent, limits of a new journal ▸ RUN ▸ turns ▸
 *          stop: kill all, wait at most ENGINE_STOP_NS for the last order, lanes closed, snapshot ▸ HALT, exit 0.
 *          Fenced: FAIL, exit 75, nothing is sent any more. Anything wrong with snapshot, journal or rings: FAIL with a
 *          sentence in the log, exit 1.
 * Files    ROLE_FILE_SNAPSHOT (one or more: the newest that the journal reaches), ROLE_FILE_JOURNAL (all, in order),
 *          ROLE_FILE_OLD_ENGINE (any number; the one of the last journaled life is used), ROLE_FILE_SNAPSHOT_OUT. While it
 *          runs, of each lease (tools/engine_lanes.h) ROLE_FILE_LANE_CMD, _RSP and, last, _LINK.
 * Memory   the arena is private, mapped and touched before RUN; nothing is allocated after.
 * Threads  one. */
#pragma once

#include "core/types/err.h"
#include "ipc/journal.h"
#include "ipc/role.h"
#include "tools/config.h"
#include "tools/engine_loop.h"
#include "tools/recover.h"

#define ENGINE_EXIT_FENCED 75
#define ENGINE_STOP_NS (2 * 1000000000LL)

/* engine_genesis: write the snapshot of sequence 0 to fd, at its beginning.
 *   strategies  specifications as on a command line; count 0: those of the configuration, else both samples
 *   id          of the journal that begins with it
 * Returns ERR_OK; ERR_CONFIG, ERR_LIMIT (memory), ERR_IO with a sentence. The caller makes the file durable. Cold. */
err_t engine_genesis(const config_t *config, char *const *strategies, uint32_t count, const journal_id_t *id, int fd);

typedef struct engine_role { /* one life */
    role_ctx_t     *ctx;
    setup_t         setup;
    recover_t       recover;
    engine_loop_t   loop;
    engine_clock_t *clock;
    int64_t         idle_since; /* 0 = busy */
    int64_t         housekeep_mono_ns;
    int64_t         stop_by; /* 0 = not stopping */
    uint32_t        boot_id_hash;
    uint32_t        mail_seen; /* words->engine_mail when all news had been read */
    segment_t       old;       /* of the last life that journaled anything, while replaying */
} engine_role_t;

/* The steps of engine_main, which tests take one by one.
 * engine_open: everything that needs memory or a system call that the sandbox denies: joins, recovery.
 * engine_begin: the first inputs of the life: BOOT, set-up of a new journal, what was never sent. ERR_FULL: fenced, or a
 *   ring has no room.
 * engine_pass: news, a turn, stop, sleep; -1 = go on, else the exit code.
 * engine_close: gives back what engine_open took; a process just ends. */
err_t engine_open(engine_role_t *e, role_ctx_t *ctx);
err_t engine_begin(engine_role_t *e);
int   engine_pass(engine_role_t *e);
void  engine_close(engine_role_t *e);
