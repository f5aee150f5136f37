/* ring_lossless: one writer, one reader, nothing is ever lost: full is an answer that the writer must handle.
 *
 *   in the writer's segment   | head 128: magic, slots, stride | slot 0 | slot 1 | ... | slot slots-1 |
 *   in the reader's segment   | cursor 128: taken, of which ring |        one file per writer, so the reader's line is
 *                                                                         in a file of its own
 * Message n (from 1) lies in slot (n - 1) mod slots; the slot's seq word is n once message n is whole.
 * Writer   reserves any number of slots ahead, fills them, and commits them together: the words of the later ones are
 *          stored first and that of the first one last (release), so the reader sees all of a batch or none of it, and a
 *          writer that dies between leaves nothing behind.
 * Reader   wants n: seq (acquire) == n: it is there and stays there, whole, until the reader takes it: read in place.
 *          lossless_take_n stores taken = n (release); the writer looks at it only when its own copy says that the ring is
 *          full.
 * New life Each life of a writer has a new ring (a new segment). A new life of the reader joins the same ring again at
 *          the position that it or its journal remembers, with a cursor of its own in its new segment, and the writer is
 *          given that one (lossless_writer_cursor).
 * Cursor   the reader says 0, then the position, then the ring's id; the writer believes a position only if the id before
 *          and after it is its ring's.
 * Trust    each side keeps its own counters and bounds-checks what it reads of the other's: a cursor that runs backwards
 *          (a new reader has not joined yet) or ahead of what was written (damage) is not believed: the writer's own copy
 *          stands, and the ring fills up until it is full. A length beyond the slot is ERR_PARSE.
 * Limits   slots a power of two 2..2^20; stride a multiple of 64, 64..65536; sequences 64 bits, they never wrap.
 * Threads  one writer thread, one reader thread; anyone may look (a reader without a cursor; lossless_written). */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "core/types/err.h"
#include "ipc/ring_meta.h"

typedef struct ring_lossless { /* lies in shared memory; the slots follow */
    ring_head_t head;
} ring_lossless_t;

typedef struct ring_cursor { /* in the reader's segment; written by the reader alone */
    _Atomic uint64_t taken;  /* all messages up to here are done with */
    _Atomic uint64_t
            ring_id; /* of the ring that is read: a writer's new life does not take the position in the old ring
                                 for one in its own. 0 = none, or just changing */
    uint8_t pad[112];
} ring_cursor_t;

_Static_assert(sizeof(ring_cursor_t) == 128, "mapped by others: bump SEGMENT_VERSION");

typedef struct lossless_writer { /* local */
    ring_lossless_t     *ring;
    uint8_t             *slots;
    const ring_cursor_t *cursor; /* NULL: nobody reads yet */
    uint64_t             next;   /* sequence of the first message not yet committed */
    uint64_t             taken;  /* own copy of the reader's cursor */
    uint64_t             mask;
    uint32_t             stride;
    uint32_t             reserved;
} lossless_writer_t;

typedef struct lossless_reader { /* local */
    const ring_lossless_t *ring;
    const uint8_t         *slots;
    ring_cursor_t         *cursor;
    uint64_t               next; /* sequence wanted next */
    uint64_t               mask;
    uint32_t               stride;
    uint32_t               reserved;
} lossless_reader_t;

/* Life cycle as ring_broadcast's. */
size_t ring_lossless_footprint(uint32_t slots, uint32_t stride);
void  *ring_lossless_new(void *mem, uint32_t slots, uint32_t stride);

/* lossless_writer_join: on a fresh ring, else ERR_STATE. lossless_writer_cursor: the reader's cursor is (now) there,
 * NULL = nobody's; taken begins at its value if that is not below what was taken before, else stays.
 * lossless_reader_join: go on behind `taken`; the cursor (of the caller's segment) is set to it. cursor may be NULL for
 * one who only looks: then taken may be 0 however old the ring is. ERR_STATE when taken is ahead of what was written, or
 * what follows it is overwritten already; ERR_PARSE when the ring is none. */
err_t lossless_writer_join(lossless_writer_t *writer, void *mem, size_t bytes);
void  lossless_writer_cursor(lossless_writer_t *writer, const ring_cursor_t *cursor);
err_t lossless_reader_join(lossless_reader_t *reader, const void *mem, size_t bytes, ring_cursor_t *cursor,
                           uint64_t taken);

/* lossless_room: slots that can be reserved now; looks at the reader's cursor only when its copy leaves less than want.
 * lossless_slot: payload of the i-th slot behind the last commit (0 = next); i < room. lossless_meta: its metadata.
 * lossless_commit: the first n of them are out, all at once. Returns the sequence of the last. */
uint32_t               lossless_room(lossless_writer_t *writer, uint32_t want);
static inline uint32_t lossless_payload_max(const lossless_writer_t *writer)
{
    return writer->stride - RING_SLOT_HEAD;
}
static inline ring_slot_t *lossless_slot_head(const lossless_writer_t *writer, uint32_t i)
{
    return (ring_slot_t *)(void *)(writer->slots + ((writer->next - 1 + i) & writer->mask) * writer->stride);
}
static inline void *lossless_slot(const lossless_writer_t *writer, uint32_t i)
{
    return lossless_slot_head(writer, i) + 1;
}
static inline void lossless_meta(const lossless_writer_t *writer, uint32_t i, const ring_meta_t *meta)
{
    assert(meta->len <= lossless_payload_max(writer));
    lossless_slot_head(writer, i)->meta = *meta;
}
static inline uint64_t lossless_commit(lossless_writer_t *writer, uint32_t n)
{
    assert(n >= 1 && writer->next - 1 + n - writer->taken <= writer->mask + 1);
    for (uint32_t i = n; i-- > 0;) { /* the first one last: nobody looks at a word before it saw the one before */
        atomic_store_explicit(&lossless_slot_head(writer, i)->seq, writer->next + i, memory_order_release);
    }
    writer->next += n;
    return writer->next - 1;
}

/* lossless_put: one message from a buffer: ERR_OK or ERR_FULL. */
err_t lossless_put(lossless_writer_t *writer, const ring_meta_t *meta, const void *payload);

/* lossless_peek_at: the i-th message behind the next, where it lies; i counts up from 0, and i + 1 is asked for only
 * when i was there. ERR_OK, ERR_EMPTY, ERR_PARSE (damaged: take passes over it); no sentence.
 * lossless_peek: the next one. lossless_take: the peeked message is done with; its bytes may change from here on.
 * lossless_take_n: n of them. */
static inline err_t lossless_peek_at(const lossless_reader_t *reader, uint32_t i, ring_meta_t *meta,
                                     const void **payload)
{
    const uint64_t     want = reader->next + i;
    const ring_slot_t *slot =
        (const ring_slot_t *)(const void *)(reader->slots + ((want - 1) & reader->mask) * reader->stride);
    /* acquire: pairs with the release in lossless_commit */
    const uint64_t seq = atomic_load_explicit(&slot->seq, memory_order_acquire);
    *payload           = slot + 1;
    if (seq != want) {
        return seq < want ? ERR_EMPTY : ERR_PARSE;
    }
    memcpy(meta, &slot->meta, sizeof(*meta));
    return meta->len <= reader->stride - RING_SLOT_HEAD ? ERR_OK : ERR_PARSE;
}
static inline err_t lossless_peek(const lossless_reader_t *reader, ring_meta_t *meta, const void **payload)
{
    return lossless_peek_at(reader, 0, meta, payload);
}
static inline void lossless_take_n(lossless_reader_t *reader, uint32_t n)
{
    reader->next += n;
    if (reader->cursor != NULL) {
        atomic_store_explicit(&reader->cursor->taken, reader->next - 1, memory_order_release);
    }
}
static inline void lossless_take(lossless_reader_t *reader)
{
    lossless_take_n(reader, 1);
}

/* lossless_cursor_taken: what a cursor says of this ring; 0 when it says nothing of it. */
uint64_t lossless_cursor_taken(const ring_cursor_t *cursor, const ring_lossless_t *ring);

/* lossless_written: sequence of the newest whole message, 0 = none, found from the slots by search from where the
 * reader is (one that joined with NULL and 0 is right always): for recovery and monitors. A batch whose commit was cut
 * off does not count. O(slots). */
uint64_t               lossless_written(const lossless_reader_t *reader);
static inline uint32_t lossless_slots(const lossless_reader_t *reader)
{
    return (uint32_t)(reader->mask + 1);
}
