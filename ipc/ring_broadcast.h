/* ring_broadcast: one writer that never waits, any number of readers that never touch the writer's memory, and who read
 * exactly what they missed from the sequence.
 *
 *   | head 128: magic, slots, stride | writer's line: tail | slot 0 | slot 1 | ... | slot slots-1 |
 *
 * Message n (from 1) lies in slot (n - 1) mod slots. The slot's seq word is
 *     n           message n is whole
 *     n | BUSY    message n is being written: neither n nor the older one can be read
 * Writer   seq = n | BUSY; release fence; metadata and payload; seq = n (release); tail = n (release).
 * Reader   wants n: s = seq (acquire). s == n: copy, acquire fence, read seq again; the same = the copy is message n.
 *          (s & ~BUSY) < n or s == n | BUSY: not there yet. (s & ~BUSY) > n: lapped: the reader is told how many
 *          messages it lost, and goes on at the oldest one that is kept, or at the newest, as it asks. A word that no
 *          writer can have put there (not n modulo slots) is damage, and passed over.
 * Never parse in place: copy, re-check, then verify and read the copy.
 *
 * Cost     the writer's is the same with no reader, with a thousand, with a stopped or a dead one: it reads nothing of
 *          theirs. A hop moves the lines of the message, no others.
 * Tail     for joining and after a loss only; a reader in step never looks at it.
 * Limits   slots a power of two 2..2^24; stride a multiple of 64, 64..65536; sequences are 63 bits.
 * Threads  one writer thread; each reader handle one thread.
 * Trust    a reader uses slots and stride as it checked them at join, not as the memory says later. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/types/err.h"
#include "ipc/ring_meta.h"
#include "ipc/words_copy.h"

#define RING_BUSY (1ull << 63)

typedef enum ring_start { RING_OLDEST = 0, RING_NEWEST = 1 } ring_start_t; /* NEWEST: what is written from now on */

typedef struct ring_broadcast { /* lies in shared memory; the slots follow */
    ring_head_t      head;      /* bytes 0..127                                */
    _Atomic uint64_t tail;      /* bytes 128..255: the writer's line           */
    uint8_t          pad[120];
} ring_broadcast_t;

_Static_assert(offsetof(ring_broadcast_t, tail) == 128, "writer's line");
_Static_assert(sizeof(ring_broadcast_t) == 256, "mapped by others: bump SEGMENT_VERSION");

typedef struct ring_writer { /* of a broadcast ring; local */
    ring_broadcast_t *ring;
    uint8_t          *slots;
    uint64_t          next; /* sequence of the next message, from 1 */
    uint64_t          mask;
    uint32_t          stride;
    uint32_t          reserved;
} ring_writer_t;

typedef struct ring_reader { /* of a broadcast ring; local */
    const ring_broadcast_t *ring;
    const uint8_t          *slots;
    uint64_t                next; /* sequence wanted next */
    uint64_t                mask;
    uint64_t                lost;      /* in all */
    uint64_t                lost_from; /* the last loss: first and last sequence */
    uint64_t                lost_to;
    uint32_t                stride;
    ring_start_t            after_loss; /* where to go on; OLDEST unless set otherwise */
} ring_reader_t;

/* Life cycle: align 128. footprint: 0 and a sentence for a bad size. new formats zeroed memory of the caller's, magic
 * last, NULL for a bad size; a join says ERR_PARSE and a sentence that names the field. bytes: the room that the object
 * has in its segment. A writer that joins goes on behind the newest whole message. */
size_t ring_broadcast_footprint(uint32_t slots, uint32_t stride);
void  *ring_broadcast_new(void *mem, uint32_t slots, uint32_t stride);
err_t  ring_writer_join(ring_writer_t *writer, void *mem, size_t bytes);
err_t  ring_reader_join(ring_reader_t *reader, const void *mem, size_t bytes, ring_start_t start);

/* ring_reader_seek: the next message read is seq, or the oldest one kept with the loss told. */
void ring_reader_seek(ring_reader_t *reader, uint64_t seq);

static inline uint32_t ring_room(const ring_writer_t *writer)
{
    return writer->stride - RING_SLOT_HEAD;
}
static inline ring_slot_t *ring_writer_slot(const ring_writer_t *writer)
{
    return (ring_slot_t *)(void *)(writer->slots + ((writer->next - 1) & writer->mask) * writer->stride);
}

/* ring_reserve: the payload of the next message, room for ring_room() bytes; the slot is invalid from here on. May be
 * called again without a commit between: the same slot. ring_commit: meta->len <= ring_room(); the message is out;
 * returns its sequence. ring_publish: both, from an 8-aligned buffer. Never waits, never fails. */
static inline void *ring_reserve(ring_writer_t *writer)
{
    ring_slot_t *slot = ring_writer_slot(writer);
    atomic_store_explicit(&slot->seq, writer->next | RING_BUSY, memory_order_relaxed);
    words_fence_release(); /* who sees a byte of the new message finds BUSY when it looks at seq again */
    return slot + 1;
}
static inline uint64_t ring_commit(ring_writer_t *writer, const ring_meta_t *meta)
{
    assert(meta->len <= ring_room(writer));
    ring_slot_t   *slot = ring_writer_slot(writer);
    const uint64_t seq  = writer->next++;
    words_copy((uint8_t *)slot + 8, meta, sizeof(*meta));
    atomic_store_explicit(&slot->seq, seq, memory_order_release);
    atomic_store_explicit(&writer->ring->tail, seq, memory_order_release);
    return seq;
}
static inline uint64_t ring_publish(ring_writer_t *writer, const ring_meta_t *meta, const void *payload)
{
    assert(meta->len <= ring_room(writer));
    words_copy(ring_reserve(writer), payload, meta->len);
    return ring_commit(writer, meta);
}

/* ring_read: copy the next message. dst 8-aligned.
 *   Returns ERR_OK     *meta and meta->len bytes at dst; reader->next - 1 is its sequence
 *           ERR_EMPTY  nothing new
 *           ERR_GAP    lost: lost_from..lost_to; the next call goes on behind it
 *           ERR_PARSE  the slot cannot be what it says (the memory was damaged): passed over
 *           ERR_FULL   cap is too small: meta->len says what is needed; nothing moved
 *   Cost      nothing new: one load; else a copy. Answers, not failures: no sentence is built
 * ring_read_slot: its second half, when the slot's word was found to be seen. */
err_t               ring_read_slot(ring_reader_t *reader, uint64_t seen, void *dst, size_t cap, ring_meta_t *meta);
static inline err_t ring_read(ring_reader_t *reader, void *dst, size_t cap, ring_meta_t *meta)
{
    const ring_slot_t *slot =
        (const ring_slot_t *)(const void *)(reader->slots + ((reader->next - 1) & reader->mask) * reader->stride);
    /* acquire: pairs with the release of seq in ring_commit */
    const uint64_t seen = atomic_load_explicit(&slot->seq, memory_order_acquire);
    if (seen != reader->next && (seen & ~RING_BUSY) <= reader->next) {
        return ERR_EMPTY;
    }
    return ring_read_slot(reader, seen, dst, cap, meta);
}

/* ring_tail: newest sequence written, 0 = none. ring_oldest: the oldest that can still be read, by tail. */
uint64_t ring_tail(const ring_broadcast_t *ring);
uint64_t ring_oldest(const ring_reader_t *reader);
