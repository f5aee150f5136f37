/* frame_link: messages as frames over a stream socket between two of our own processes, both ways alike.
 *
 *   frame   0      4      6       8       12         16                       16 + len, then zeroes up to the next 8
 *           | len  | type | flags | topic | reserved | FlatBuffers message    |
 *           len of the message alone; type is msg_type_t; flags and reserved are 0
 *
 * The simulated venue (tools/venue_session.h says who says what) and its adapter speak it.
 *
 * Buffers  one each way, of a fixed size, the caller's memory. Writing appends to the buffer and never waits; flush hands
 *          what is there to the kernel. sent counts bytes that the kernel took, since the beginning: a frame whose last
 *          byte is at or below it has left, one whose first byte is above it has not.
 * Errors   a frame that is no frame (length, flags, verification) is ERR_PARSE with a sentence: the session cannot go on
 *          behind it. Nothing that comes in makes anything but an error.
 * Threads  one a side. No allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"
#include "core/types/msg.h"
#include "ipc/message.h"

#define FRAME_HEAD 16u
#define FRAME_MAX (FRAME_HEAD + MESSAGE_BYTES_MAX)

typedef struct frame_link {
    int      fd; /* -1 = none */
    uint8_t *in; /* 8-aligned, in_cap bytes: [in_at, in_end) not yet read; in_at is a multiple of 8 behind compaction */
    uint8_t *out;
    size_t   in_cap, in_at, in_end;
    size_t   out_cap, out_at, out_end;
    uint64_t put;      /* bytes of frames ever written to the buffer */
    uint64_t sent;     /* of them handed to the kernel               */
    uint64_t received; /* bytes ever received                        */
} frame_link_t;

/* frame_link_open: a session on fd (connected, taken over). caps: multiples of 8, at least 2 * FRAME_MAX. */
void frame_link_open(frame_link_t *link, int fd, void *in, size_t in_cap, void *out, size_t out_cap);
void frame_link_close(frame_link_t *link);

/* frame_link_room: bytes that can be put now. frame_link_put: a frame into the buffer; ERR_FULL (nothing changed); what
 * message_write says. */
size_t frame_link_room(const frame_link_t *link);
err_t  frame_link_put(frame_link_t *link, uint32_t topic, const msg_t *msg);

/* frame_link_flush: hand over what the kernel takes. ERR_OK nothing is left; ERR_AGAIN the kernel is full; ERR_END the
 * other side is gone (a sentence). */
err_t frame_link_flush(frame_link_t *link);

/* frame_link_fill: receive what is there. ERR_OK something came; ERR_AGAIN nothing; ERR_FULL no room: read frames first;
 * ERR_END the other side is gone (a sentence). */
err_t frame_link_fill(frame_link_t *link);

/* frame_link_next: the next whole frame; *msg points into the buffer until the next fill.
 * ERR_OK; ERR_AGAIN (no whole frame yet); ERR_PARSE with a sentence. */
err_t frame_link_next(frame_link_t *link, uint32_t *topic, msg_t *msg);
