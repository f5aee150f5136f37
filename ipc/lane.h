/* lane: the way of one client process into the engine and back, in two files of memory that only these two share.
 *
 *   cmd file   the client writes, the engine reads
 *   | lane_cmd_t 512: magic, sizes | goodbye | bell of the engine | client asleep | taken of rsp | lossless ring "cmd"
 *   rsp file   the engine writes, the client reads
 *   | lane_rsp_t 512: magic, sizes, lane_t | state | bell of the client | engine asleep | taken of cmd | ring "rsp"
 *
 *            supervisor: lane_make        engine: lane_serve        either side ends it
 *   (none) ──────────────────────▶ made ────────────────────▶ OPEN ────────────────────▶ CLOSED (reason)
 *
 * Lease    a client connects to <instance directory>/lane.sock (SOCK_SEQPACKET), says lane_hello_t; the kernel says who it
 *          is (SO_PEERCRED); the supervisor looks the name up in the configuration, makes both files and hands them, with
 *          the connection itself, to the engine. When the engine's seals stand on the rsp file, the supervisor sends
 *          lane_welcome_t with both descriptors to the client and lets go of everything: from then on the connection
 *          joins client and engine alone, and its end tells either that the other one is gone. The death of the
 *          supervisor ends no lease; without one there are no new ones.
 * Seals    cmd: SHRINK|GROW|SEAL by lane_make. rsp: SHRINK|GROW by lane_make; FUTURE_WRITE|SEAL by the engine as soon as
 *          it has mapped it: no other process can ever write there. lane_join checks both.
 * Trust    the engine believes nothing of the cmd file but what it copied and verified: own cursors, own sizes, bounds
 *          checked; a client may punch holes into its file: zeros are no message, and a head that is gone closes the
 *          lane (lane_look). The client reads the rsp file in place: the engine does not change what was not taken.
 *          A lane is damaged by its client alone, and harms nobody but it.
 * Messages client to engine: ORDER_REQUEST, ORDER_TERMS_REQUEST (LANE_RIGHT_ORDER), MASS_CANCEL (ORDER: its own; OPERATE:
 *          anybody's), RISK_CHECK_REQUEST, SIZE_REQUEST (CHECK), LIMIT_CHANGE (LIMITS; RAISE and APPROVE for what they
 *          say; its step GET needs none), OPERATE (OPERATE). Engine to client: LANE first of all (who it is, its epoch
 *          and first sequence of ClOrdIDs); a VERDICT for each order request and MASS_CANCEL, in their order; EXEC_REPORT
 *          of each event of its strategy's orders, as booked; a RISK_CHECK_RESPONSE or SIZE_RESPONSE for each question;
 *          AUDITs of what it changed or asked for, in their order; LANE again at the close, if there is room.
 *          A verdict is told after it is in the journal. A request without an answer when the lane ends may have been
 *          taken or not: the published records and ev tell (by ClOrdID); it is never taken later.
 * Waiting  each side has a bell that the other rings only when it sleeps: asleep = 1, fence, look again, futex wait on
 *          the other's word (read-only mappings will do). The engine waits on all of its lanes and its own bell at once.
 * Limits   LANE_SLOTS_MIN..LANE_SLOTS_MAX slots of LANE_STRIDE; an instance has at most ENGINE_LANES_MAX lanes.
 * Threads  one on each side. After lane_serve and lane_join no system call but to wake a sleeper. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/types/msg.h"
#include "ipc/ring_lossless.h"

#define LANE_MAGIC_CMD 0x31646d436c617768ull /* "hwalCmd1" */
#define LANE_MAGIC_RSP 0x317073526c617768ull /* "hwalRsp1" */
#define LANE_STRIDE 256u                     /* the largest message is an execution report */
#define LANE_SLOTS_MIN 16u
#define LANE_SLOTS_MAX 65536u
#define LANE_NAME_MAX 31u
#define LANE_SOCKET "lane.sock"

typedef struct lane_head { /* of both files; written by lane_make */
    uint64_t magic;        /* stored last */
    uint64_t layout_hash;  /* segment_layout_hash */
    uint32_t slots;
    uint32_t stride;
    uint8_t  pad[40];
} lane_head_t;

typedef struct lane_bell { /* a word that its owner raises when the other side sleeps */
    _Atomic uint32_t word;
    uint8_t          pad[60];
} lane_bell_t;

typedef struct lane_cmd {     /* the client's; the ring follows */
    lane_head_t      head;    /*   0 */
    _Atomic uint32_t goodbye; /*  64: 1 = it gives the lane back */
    _Atomic uint32_t asleep;  /*      1 = the client sleeps: ring its bell */
    uint8_t          pad[56];
    lane_bell_t      bell; /* 128: the engine sleeps on it */
    uint8_t          pad2[64];
    ring_cursor_t    taken; /* 256: of rsp */
    uint8_t          pad3[128];
} lane_cmd_t;

typedef struct lane_rsp {    /* the engine's; the ring follows */
    lane_head_t      head;   /*   0 */
    _Atomic uint32_t state;  /*  64: lane_state_t, stored after lane */
    _Atomic uint32_t asleep; /*      1 = the engine sleeps: ring its bell */
    lane_t           lane;   /*      written before state becomes OPEN, and its reason before CLOSED */
    lane_bell_t      bell;   /* 128: the client sleeps on it */
    uint8_t          pad2[64];
    ring_cursor_t    taken; /* 256: of cmd */
    uint8_t          pad3[128];
} lane_rsp_t;

_Static_assert(sizeof(lane_cmd_t) == 512, "mapped by others: bump SEGMENT_VERSION");
_Static_assert(sizeof(lane_rsp_t) == 512, "mapped by others: bump SEGMENT_VERSION");
_Static_assert(offsetof(lane_cmd_t, bell) == 128 && offsetof(lane_cmd_t, taken) == 256, "lines");
_Static_assert(offsetof(lane_rsp_t, bell) == 128 && offsetof(lane_rsp_t, taken) == 256, "lines");

/* ---- over the socket ---------------------------------------------------------------------------------------------- */
#define LANE_HELLO_MAGIC 0x6f6c6c65486c7768ull
#define LANE_WELCOME_MAGIC 0x656d6f636c657768ull

typedef struct lane_hello {
    uint64_t magic;
    uint64_t layout_hash;
    char     name[LANE_NAME_MAX + 1]; /* of the client in the configuration */
} lane_hello_t;

typedef struct lane_welcome { /* with two descriptors, cmd and rsp, when err is 0 */
    uint64_t magic;
    uint32_t err; /* err_t */
    uint32_t reserved;
    char     text[240]; /* what was wrong */
} lane_welcome_t;

/* ---- the maker: supervisor ---------------------------------------------------------------------------------------- */
/* lane_make: both files, formatted, with real memory, cmd sealed for good. ERR_ARG (slots), ERR_LIMIT, ERR_IO. */
err_t lane_make(uint32_t slots, int *cmd_fd, int *rsp_fd);

/* lane_sealed: has the engine mapped and sealed this rsp file? */
bool lane_sealed(int rsp_fd);

/* ---- the engine's side -------------------------------------------------------------------------------------------- */
typedef struct lane_server {
    const lane_cmd_t *cmd; /* NULL = no lane */
    lane_rsp_t       *rsp;
    lossless_reader_t from; /* of cmd */
    lossless_writer_t to;   /* of rsp */
    lane_t            lane;
    size_t            cmd_bytes, rsp_bytes;
    int               link_fd;
    uint32_t          unrung; /* answers since the last lane_bell */
} lane_server_t;

/* lane_serve: map, check, seal; takes all three descriptors over, also on failure. The lane is not open yet.
 * lane_open: the engine journaled it: lane (as the client must be told) is shown and said, state OPEN.
 * lane_close: state CLOSED, the reason shown and, if there is room, said; unmapped, the connection closed. */
err_t lane_serve(lane_server_t *server, int cmd_fd, int rsp_fd, int link_fd);
void  lane_open(lane_server_t *server, const lane_t *lane);
void  lane_close(lane_server_t *server, lane_reason_t reason);

/* lane_take: the next request, copied to dst (8-aligned, cap bytes; longer ones are ERR_PARSE) and taken.
 * ERR_EMPTY; ERR_PARSE: the ring is damaged (also a slot that was emptied): close. meta is a copy; nothing in it is
 * believed but len <= cap.
 * lane_answer: one message of at most LANE_STRIDE - RING_SLOT_HEAD bytes; ERR_FULL: close (LANE_REASON_RSP_FULL).
 * lane_bell: after the answers of a turn.
 * lane_look: now and then: LANE_REASON_NONE, or why it should be closed: RELEASED (whatever it still wanted is not
 * taken), DAMAGED (its head), DEAD (one recv), MISUSED (it said something on the connection, where its end would hide). */
err_t         lane_take(lane_server_t *server, void *dst, size_t cap, ring_meta_t *meta);
err_t         lane_answer(lane_server_t *server, const ring_meta_t *meta, const void *payload);
void          lane_bell(lane_server_t *server);
lane_reason_t lane_look(lane_server_t *server);

/* ---- the client's side -------------------------------------------------------------------------------------------- */
typedef struct lane_client {
    lane_cmd_t       *cmd; /* NULL = no lane */
    const lane_rsp_t *rsp;
    lossless_writer_t to;   /* of cmd */
    lossless_reader_t from; /* of rsp */
    size_t            cmd_bytes, rsp_bytes;
    int               link_fd;
    uint32_t          held; /* 1 = lane_next gave out a message that is not taken yet */
} lane_client_t;

/* lane_lease: connect to dir/lane.sock (dir_fd), ask for the client `name`, join. wait_ns: how long at most. Errors:
 * ERR_NOT_FOUND (no such instance, or no client of that name), ERR_EXISTS (leased: the sentence names the pid),
 * ERR_STATE (not yours, engine not running), ERR_UNSUPPORTED (another layout), ERR_IO, ERR_AGAIN (time is up),
 * ERR_FULL (leased a moment ago: it asked again until the time was up).
 * lane_join: the second half, of descriptors that one has (tests). Takes them over. ERR_STATE (seals are missing, or
 * somebody was in it before), ERR_UNSUPPORTED, ERR_PARSE, ERR_LIMIT.
 * lane_leave: gives it back. Wait for the verdicts before: requests that were not taken by then are dropped.
 * The lease lives as long as its connection: a child that keeps it open (fork without exec) keeps the lease. */
err_t lane_lease(lane_client_t *client, int dir_fd, const char *name, int64_t wait_ns);
err_t lane_join(lane_client_t *client, int cmd_fd, int rsp_fd, int link_fd);
void  lane_leave(lane_client_t *client);

/* lane_send: one message: ERR_OK, ERR_FULL, ERR_STATE (closed: lane_ended says why).
 * lane_next: the next answer where it lies, until lane_next is called again: ERR_OK, ERR_EMPTY, ERR_STATE (closed and all
 * answers were read), ERR_PARSE.
 * lane_wait: until there is an answer, the lane ends or timeout_ns is over; spins spin_ns first, then sleeps. ERR_OK
 * (lane_next has something to say), ERR_AGAIN, ERR_STATE (ended and all answers were read). A signal does not end it.
 * lane_ended: LANE_REASON_NONE while it is not closed; DEAD: the engine is gone without a word. One recv. */
err_t         lane_send(lane_client_t *client, const ring_meta_t *meta, const void *payload);
err_t         lane_next(lane_client_t *client, ring_meta_t *meta, const void **payload);
err_t         lane_wait(lane_client_t *client, int64_t spin_ns, int64_t timeout_ns);
lane_reason_t lane_ended(const lane_client_t *client);
