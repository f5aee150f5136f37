/* supervisor: starts the roles of an instance, watches them, starts them again, stops them. It decides nothing about
 * trading; if it dies, the roles run on and a new one takes them over.
 *
 *   open: lock ▸ anybody alive? ─ yes ─▶ adopt them ──────────────────────────────────────────┐
 *                     └ no ─▶ state directory, snapshot 0, first journal file, words, FIFOs ──▶ turn, turn, turn ...
 *   turn: who died ▸ who is due (journal, venue, sim, capture, engine) ▸ tell peers ▸ leases of lanes (tools/door.h) ▸
 *         spare journal file ▸ logs ▸ wait
 *   stop: words.stop 1 engine ▸ 2 journal, sim, capture ▸ 3 venue; each gets SUPERVISOR_STOP_NS, then SIGKILL
 *
 * Engine    starts only when the journal role has put its last life's jrn ring on file; before it starts, its epoch is
 *           durable and the fence raised to it.
 * Restart   after 0.1, 0.2, 0.4 .. 5 s; from the beginning again after SUPERVISOR_GOOD_NS of life. Ten deaths within
 *           60 s: FAILED for good, and the instance is stopped in order.
 * Start     never half: processors that we may not use are refused before anything is made; when anything cannot be
 *           made, what was made is removed and the sentence says what was missing.
 * Evidence  segments of a session in which a role crashed stay until `hwal segments gc`, the newest
 *           SUPERVISOR_KEEP engines and SUPERVISOR_KEEP_OTHERS of each other role; else they are removed by
 *           supervisor_close. With journal.start resume the
 *           venue's stays: its market lives there.
 * Disk      one spare journal file always waits. An alarm when nine tenths of journal.max_bytes are used; at its end
 *           files that lie before the newest snapshot go, else the journal closes and orders get 154.
 * Second    one supervisor an instance: ERR_EXISTS names the pid of the one there is.
 * Threads   one. Cold: allocates. */
#pragma once

#include "ipc/role_table.h"
#include "tools/spawn.h"
#include "tools/state_dir.h"

#define SUPERVISOR_GOOD_NS (10 * 1000000000LL)
#define SUPERVISOR_STOP_NS (5 * 1000000000LL)
#define SUPERVISOR_DEATHS_MAX 10u
#define SUPERVISOR_DEATHS_NS (60 * 1000000000LL)
#define SUPERVISOR_KEEP 3u /* engines: the current one, the one before, and one that died before its first record */
#define SUPERVISOR_KEEP_OTHERS 2u

typedef struct supervisor supervisor_t;

typedef void (*supervisor_say_t)(void *ctx, log_level_t level, const char *role, const char *text);

typedef struct supervisor_cfg {
    const config_t *config;
    role_main_t     mains[ROLE_COUNT];
    size_t          venue_bytes; /* of its object "state" */
    bool            anew;        /* asked for by a person: living roles are refused, not adopted */
    /* the snapshot at the birth of a journal, see engine_genesis */
    err_t (*genesis)(const config_t *config, char *const *strategies, uint32_t count, const journal_id_t *id, int fd);
    supervisor_say_t say; /* told every line of every role's log */
    void            *say_ctx;
} supervisor_cfg_t;

typedef enum supervisor_phase {
    SUPERVISOR_STARTING = 0,
    SUPERVISOR_RUNNING, /* every role is in state RUN */
    SUPERVISOR_STOPPING,
    SUPERVISOR_STOPPED
} supervisor_phase_t;

/* supervisor_open: on failure nothing of it is left. ERR_EXISTS, ERR_STATE, ERR_LIMIT, ERR_CONFIG, ERR_IO. */
err_t supervisor_open(const supervisor_cfg_t *cfg, supervisor_t **out);

/* supervisor_turn: one turn; waits at most wait_ns for something to happen. */
supervisor_phase_t supervisor_turn(supervisor_t *supervisor, int64_t wait_ns);

/* supervisor_stop: begin the orderly stop; at_once: kill. Turns go on until SUPERVISOR_STOPPED. */
void supervisor_stop(supervisor_t *supervisor, bool at_once);

/* supervisor_close: frees; removes what a session without a crash does not need any more. Roles that live stay alive. */
void supervisor_close(supervisor_t *supervisor);

/* Reading. supervisor_failure: why a role was given up, NULL = none was. supervisor_segment: newest one of a role, mapped
 * read-only; head NULL = none. supervisor_memory: bytes of shared memory of all roles. */
const char        *supervisor_failure(const supervisor_t *supervisor);
bool               supervisor_adopted(const supervisor_t *supervisor);
const state_dir_t *supervisor_dir(const supervisor_t *supervisor);
const role_row_t  *supervisor_row(const supervisor_t *supervisor, role_t role);
const segment_t   *supervisor_segment(const supervisor_t *supervisor, role_t role);
uint64_t           supervisor_memory(const supervisor_t *supervisor);
bool               supervisor_crashed(const supervisor_t *supervisor);
