/* door: where clients lease lanes (ipc/lane.h): lane.sock, the supervisor's side.
 *
 *   accept ▸ who is it (SO_PEERCRED) ▸ hello ▸ may it ─ no ─▶ welcome with a sentence ▸ close
 *                                              └ yes ▸ lane_make ▸ cmd, rsp, connection to the engine (mails, its bell)
 *                                                       ▸ the engine's seals ▸ welcome with cmd and rsp ▸ close all
 *
 * May it    the name is a client's of the configuration; its uid is the client's user, alone (root is no exception); the
 *           engine is in state RUN; nobody holds the lane: the door keeps no descriptor of a lease, so whether it is held
 *           is what the engine publishes (lanes_page_t), or, until it has, that it was given within DOOR_WAIT_NS. A holder
 *           whose process is gone keeps nobody out. One lease of a client in DOOR_PACE_NS: sooner is ERR_FULL, and
 *           lane_lease asks again.
 * Lease     its number is engine epoch << 40 | milliseconds of CLOCK_MONOTONIC: an engine's life has one epoch and lies
 *           within one boot, so numbers rise whatever becomes of supervisors, and are never used twice.
 *           The engine gets leases whole and in the order of their numbers, however many are asked for at a time.
 * Slow      a caller has DOOR_WAIT_NS for its hello and the engine as long for its seals. DOOR_CALLERS_MAX callers at a
 *           time; one more takes the place of the oldest that has not said hello: who is silent keeps nobody out.
 * Said      every lease and every refusal, of refusals at most DOOR_SAID_MAX a second and then how many more there were:
 *           nobody fills the log from outside.
 * Errors    of refusals: ERR_NOT_FOUND (no such client), ERR_STATE (not yours, engine not running or gone), ERR_EXISTS
 *           (held; the sentence names the pid), ERR_UNSUPPORTED (another layout), ERR_PARSE (no hello), ERR_AGAIN (too
 *           slow, or the engine was), ERR_FULL (too soon), ERR_LIMIT (place taken, no memory).
 * Owner     the supervisor. Cold. One thread. A turn never waits. */
#pragma once

#include <poll.h>

#include "ipc/lane.h"
#include "ipc/role.h"

#define DOOR_CALLERS_MAX 32u
#define DOOR_POLL_MAX (1u + DOOR_CALLERS_MAX)
#define DOOR_WAIT_NS (2 * 1000000000LL)
#define DOOR_PACE_NS (50 * 1000000LL)
#define DOOR_SAID_MAX 20u

typedef struct door_cfg {
    const config_t *config;
    const char     *dir; /* of the instance, for sentences */
    int             dir_fd;
    int             mail_fd; /* a datagram socket to send from */
    words_t        *words;
    void (*say)(void *ctx, log_level_t level, const char *text);
    void *say_ctx;
} door_cfg_t;

typedef struct door_caller { /* a connection before it is a lease */
    int      fd;             /* -1 = a free place */
    int      cmd_fd, rsp_fd;
    uint32_t uid, pid;
    uint32_t lane_id; /* 0 = has not said hello */
    uint32_t mails;   /* to the engine: cmd, rsp, link */
    uint32_t gen;     /* of the engine */
    uint64_t lease;
    int64_t  until_ns;
} door_caller_t;

typedef struct door_given { /* the newest lease of a client */
    uint64_t lease;
    int64_t  at_ns;
} door_given_t;

typedef struct door {
    door_cfg_t    cfg;
    int           fd; /* listens; -1 = there are no clients */
    uint32_t      uids[ENGINE_LANES_MAX];
    uint64_t      lease; /* newest number */
    door_given_t  given[ENGINE_LANES_MAX];
    door_caller_t callers[DOOR_CALLERS_MAX];
    int64_t       deaf_until_ns; /* no descriptor for another caller: not before */
    int64_t       said_since_ns; /* the second that said counts */
    uint32_t      said, unsaid;
} door_t;

/* door_open: users looked up, socket there, whatever was under its name; without clients in the configuration nothing.
 * ERR_CONFIG (no such user), ERR_IO; *door is closed then. door_close: callers are refused, the socket is gone. */
err_t door_open(door_t *door, const door_cfg_t *cfg);
void  door_close(door_t *door);

/* door_turn: everything that can be done now. engine: the segment of the living one, NULL = none, or no leases now. */
void door_turn(door_t *door, int64_t now_ns, const segment_t *engine);

/* For who waits between turns. door_poll: what to poll for, up to DOOR_POLL_MAX; how many. door_wait_ns: how long at most. */
uint32_t door_poll(const door_t *door, int64_t now_ns, struct pollfd *fds);
int64_t  door_wait_ns(const door_t *door, int64_t wait_ns);
