/* record: a journal record: the FlatBuffers table Record with one message in it, written by template around the very
 * bytes that a ring carries.
 *
 *   0            RECORD_PREFIX                    RECORD_PREFIX + message bytes
 *   | Record: root, vtable, sequence, clocks, head, msg type and offset | the message's own buffer, verbatim |
 *
 * The prefix is constant but for its fields, a multiple of 8; Record.msg points at the root table inside the message's
 * buffer. So the engine copies a market data message once, into its jrn slot behind the prefix, and applies it from
 * there; and any FlatBuffers reader reads the whole as a Record. */
#pragma once

#include "core/types/err.h"
#include "core/types/msg.h"
#include "core/types/time.h"

#define RECORD_PREFIX 96u      /* pinned by static assertions in record.c */
#define RECORD_BYTES_MAX 1248u /* prefix and the largest message; a multiple of 8; jrn stride is 1,280 */

typedef struct record {
    uint64_t      sequence; /* engine sequence of the input; its outputs carry the same */
    now_t         now;
    record_head_t head;
    msg_t         msg;     /* points into the buffer */
    const void   *message; /* the message's own buffer, message_len bytes; NULL, 0: its writer did not embed one */
    uint32_t      message_len;
    uint32_t      reserved;
} record_t;

/* record_message: where the message's bytes go in buf (8-aligned). record_seal: write the prefix around a message of
 * that type and length (a multiple of 4, at most MESSAGE_BYTES_MAX) that lies there, verified by message_read or written by
 * message_write; returns the record's length. Cost: ~15 stores. */
static inline void *record_message(void *buf)
{
    return (uint8_t *)buf + RECORD_PREFIX;
}
uint32_t record_seal(void *buf, msg_type_t type, uint32_t message_len, uint64_t sequence, now_t now,
                     const record_head_t *head);

/* record_head_set: the head of a record that lies sealed in buf (the input's hash is known only after it was applied). */
void record_head_set(void *buf, const record_head_t *head);
/* record_head_get, record_sequence: of a record that record_seal wrote. */
record_head_t record_head_get(const void *buf);
uint64_t      record_sequence(const void *buf);

/* record_size_prefix: the sealed record of len bytes in buf (room for len + 7) becomes one of a stream, in place: a
 * size-prefixed FlatBuffer as every FlatBuffers library reads it (GetSizePrefixedRoot), identifier HWAL. Returns its bytes,
 * the prefix and zeros at the end included: a multiple of 8, so that in a file of them everything lies aligned.
 *
 *   sealed    | root = 28 | HWAL      | 0    | vtable ...      the prefix takes the place of the four zeros, so nothing
 *   stream    | size      | root = 24 | HWAL | vtable ...      behind it moves, and stays aligned as the format demands */
uint32_t record_size_prefix(void *buf, uint32_t len);

/* record_read: verify buf[0..len) as a Record and its message; *out points into it. ERR_PARSE, ERR_LIMIT with a
 * sentence. Reads any conforming Record buffer, also one that flatc wrote. */
err_t record_read(const void *buf, size_t len, record_t *out);
