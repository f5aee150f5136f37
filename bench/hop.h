/* hop: the ways from one process to another that the benchmarks compare, as loops over a window of messages: our two
 * rings with several payloads, and the peers. Each side fills every word of every message and the other checks every
 * word; what is not what was sent counts as wrong.
 *
 *   ours    one ring each way, HOP_SLOTS slots (broadcast without real messages: HOP_SLOTS_FLOOD). Stride: the
 *           smallest multiple of 64 that holds head and payload, of 128 when that is more than one line. Words are
 *           written in place; a broadcast reader copies, a lossless one reads in place. Real messages are written by
 *           template and read by view. Loops and rings are compiled together.
 *   peers   PEER_MESSAGE bytes, PEER_SLOTS slots, by calls through the object that they live in (some 2 ns each).
 *           Flat out with their calls for 64 messages at once, and, as another contender, with those for one.
 *
 * Threads  side 0 in the process that measures, side 1 in the other. */
#pragma once

#include "bench/pair.h"
#include "bench/peers/peer.h"
#include "ipc/ring_broadcast.h"
#include "ipc/ring_lossless.h"

#define HOP_SLOTS PEER_SLOTS
#define HOP_SLOTS_FLOOD 32768u
#define HOP_BATCH 64u
#define HOP_MAX 32u

typedef struct hop_side { /* of one process; in shared memory, so that the counts can be read */
    ring_writer_t     cast_to;
    ring_reader_t     cast_from;
    lossless_writer_t safe_to;
    lossless_reader_t safe_from;
    const peer_t     *peer;
    uint64_t          sent, got; /* messages by the peer */
    uint64_t          received;  /* with every word right, or counted as wrong */
    uint64_t          wrong;
    uint64_t         *ticks; /* of each round trip, when they are timed one by one */
    _Alignas(128) uint8_t end[128];
} hop_side_t;

typedef struct hop_loops { /* a window of n messages. ping, clocked and flood: side 0; pong and drain: the other */
    void (*ping)(hop_side_t *side, uint32_t n);
    void (*clocked)(hop_side_t *side, uint32_t n);
    void (*pong)(void *side, uint32_t n);
    void (*flood)(hop_side_t *side, uint32_t n);
    void (*drain)(void *side, uint32_t n);
} hop_loops_t;

typedef struct hop {
    char        name[24]; /* "broadcast", "lossless order", "ck_ring" */
    uint32_t    bytes;    /* of the payload */
    uint32_t    lines;    /* of 64 that a message with its head takes; 0 = a peer's */
    bool        peer;
    bool        joins; /* its peer: another contender may share it */
    hop_loops_t loops;
    hop_side_t *side;     /* two */
    void       *peer_mem; /* that it carries its messages in; NULL = its own business */
} hop_t;

typedef struct hops { /* the contenders, and what they stand on */
    uint32_t count;
    hop_t    hop[HOP_MAX];
    pair_t   pair;
} hops_t;

/* hops_open: all of them when real messages are wanted too, else those with 40 and 64 bytes; forks. What is missing
 * is said in a note; iceoryx also when its daemon does not run (bench->daemon). hops_close, also after a failure.
 * hops_wrong: ERR_STATE and a sentence when anything arrived that was not sent. */
err_t hops_open(hops_t *hops, const bench_t *bench, bool messages);
void  hops_close(hops_t *hops);
err_t hops_wrong(const hops_t *hops);

/* hops_daemon_start: iox-roudi, and wait until it is ready (five seconds); its pid, 0 = it is not there.
 * hops_daemon_stop: when those who talked to it have ended (it would end them itself). */
pid_t hops_daemon_start(void);
void  hops_daemon_stop(pid_t daemon);
