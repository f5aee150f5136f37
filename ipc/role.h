/* role: what every process of an instance has, and the few things that all of them do.
 *
 * The supervisor makes the role's segment, opens what it needs and forks; the child calls the role's main with this
 * context. A main does:   join what it needs ▸ everything that needs a forbidden system call ▸ role_sandbox ▸
 * control RUN ▸ loop { role_news ▸ work ▸ role_housekeep ▸ role sleeps on its bell } ▸ control HALT ▸ return exit code.
 *
 * Peers    ctx->peer[r] is the newest segment of role r that the supervisor told us of, mapped read-only; pid 0 head =
 *          none yet. When r starts anew, role_news returns ROLE_NEWS_PEER: ctx->peer_before[r] is the segment before it
 *          (to be read to its end), ctx->peer[r] the new one. A role that has no use for either does nothing.
 * Files    descriptors that the supervisor opened for this role; what they are is between it and the role's main.
 * Stop     words->stop, or SIGTERM (the handler only sets role_stopping): the role ends in its own good order.
 * Threads  one. */
#pragma once

#include "ipc/control.h"
#include "ipc/counters.h"
#include "ipc/log.h"
#include "ipc/ring_lossless.h"
#include "ipc/segment.h"
#include "ipc/settings.h"
#include "ipc/topology.h"
#include "ipc/words.h"

#define ROLE_FILES_MAX 256u

typedef struct role_file {
    int      fd;
    uint32_t kind;   /* role_file_kind_t */
    uint64_t number; /* of a journal file or snapshot: its place in the order of all */
} role_file_t;

typedef enum role_file_kind {
    ROLE_FILE_NONE = 0,
    ROLE_FILE_JOURNAL,      /* engine: read-only, all files in order; journal: read-write, O_DIRECT, the newest ones */
    ROLE_FILE_SNAPSHOT,     /* engine: read-only, the newest good one (header checked)                               */
    ROLE_FILE_SNAPSHOT_OUT, /* engine: where the snapshot of an orderly stop goes (renamed by the supervisor if good) */
    ROLE_FILE_LISTEN,       /* venue: listening UNIX socket */
    ROLE_FILE_OLD_ENGINE,   /* sim, engine: the engine's segment of the life before, read-only */
    ROLE_FILE_LANE_CMD,     /* engine: the three of a lane (ipc/lane.h), in this order; number = lease << 8 | lane_id */
    ROLE_FILE_LANE_RSP,
    ROLE_FILE_LANE_LINK /* the connection: the kernel says who is at its other end (SO_PEERCRED) */
} role_file_kind_t;

typedef struct role_ctx {
    role_t          role;
    uint32_t        gen;
    uint32_t        epoch;      /* engine: its own; others: of the engine at their start */
    uint32_t        boot_flags; /* engine: BOOT_* for the first record */
    uint64_t        session;    /* of the journal */
    const config_t *config;
    const char     *instance_dir; /* path of the segments */

    segment_t       own;
    control_page_t *control;
    counters_t     *counters;
    ring_cursor_t  *cursors; /* by ring_id_t */
    log_t           log;

    segment_t words_segment;
    words_t  *words;
    int       fifo[ROLE_COUNT]; /* to wake roles that sleep on descriptors, and our own; -1 for those on a futex */
    int       ctl_fd;           /* bound datagram socket: the supervisor's messages; survives the supervisor */

    segment_t   peer[ROLE_COUNT];
    segment_t   peer_before[ROLE_COUNT];
    role_file_t files[ROLE_FILES_MAX];
    uint32_t    file_count;
} role_ctx_t;

/* role_mail: what the supervisor puts on <role>.ctl, a datagram with one descriptor: a new peer, or a file. */
typedef struct role_mail {
    uint32_t magic;  /* ROLE_MAIL_MAGIC */
    uint32_t file;   /* role_file_kind_t; ROLE_FILE_NONE = a peer's new segment */
    uint32_t role;   /* of the peer */
    uint32_t gen;    /* of the peer's segment */
    uint64_t number; /* of the file */
} role_mail_t;

#define ROLE_MAIL_MAGIC 0x6c69616du

typedef enum role_news { ROLE_NEWS_NONE = 0, ROLE_NEWS_PEER, ROLE_NEWS_FILE } role_news_t;

/* role_news: the next message of the supervisor that can be used, if there is one. PEER: *which is the role; FILE: *which
 * is the index in ctx->files of the new one (places of closed files, fd < 0, are used again). Call once a housekeeping. */
role_news_t role_news(role_ctx_t *ctx, uint32_t *which);

/* role_join: own and words_segment are there: find control, counters, cursors, log and words in them. */
err_t role_join(role_ctx_t *ctx);

/* role_signals: SIGTERM asks for an orderly stop, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2 are nothing. Process wide. */
void role_signals(void);

/* role_stopping: an orderly stop was asked for: by SIGTERM, or words->stop came to the role's step: the engine is first
 * (1), then journal and adapters (2), the venue last (3), each when the supervisor saw the ones before end. */
bool     role_stopping(const role_ctx_t *ctx);
uint32_t role_stop_step(role_t role);

/* role_housekeep: heartbeat, log, longest time between two of its calls (turn_max_ns); now = role_mono_ns(). */
void    role_housekeep(role_ctx_t *ctx, int64_t mono_ns);
int64_t role_mono_ns(void);
int64_t role_utc_ns(void);

/* role_ring: ring that another role's bell after messages for it are out. */
void role_bell(role_ctx_t *ctx, role_t role);

/* role_sandbox: no new privileges, not dumpable, only the system calls of this role (tools/sandbox.c has the table).
 * ERR_UNSUPPORTED with a log line where the kernel has no seccomp: goes on. */
err_t role_sandbox(role_ctx_t *ctx);

/* role_fail: state FAIL, the log says why; returns the exit code for main. */
int role_fail(role_ctx_t *ctx, const char *what);

/* the mains: tools/engine_role.c, tools/journal_role.c, adapters/venues/sim/sim_role.c, tools/venue_role.c,
 * tools/capture_role.c; the supervisor gets them as a table from tools/run.c. */
int engine_main(role_ctx_t *ctx);
int journal_main(role_ctx_t *ctx);
int sim_main(role_ctx_t *ctx);
int venue_main(role_ctx_t *ctx);
int capture_main(role_ctx_t *ctx);
