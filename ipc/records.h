/* records: an array of places, each of which holds the newest message about one thing, behind a sequence lock.
 *
 *   | head 128: magic, count, stride | place 0 | place 1 | ...      place: | lock 8 | ring_meta 16 | payload |
 *
 * A payload is a FlatBuffers table, as in a ring (type in the metadata): the top 20 levels of a book as a BOOK_UPDATE
 * snapshot, an ORDER, a POSITION. Written by the engine once per complete input for what the input touched. Records are
 * consistent one by one; for a consistent cut read ev or a snapshot.
 *
 * Lock     even = whole, odd = being written, 0 = never written. Writer: lock + 1, release fence, body, lock + 1
 *          (release). Reader: lock (acquire), copy, acquire fence, lock again; other or odd: again.
 * Waiting  the writer never waits. A reader tries RECORDS_TRIES times and then says ERR_AGAIN: a writer that died between
 *          leaves one place odd for good, and that is told as such.
 * Limits   count 1..2^24; stride a multiple of 64, 64..65536. */
#pragma once

#include <assert.h>
#include <stddef.h>

#include "core/types/err.h"
#include "ipc/ring_meta.h"
#include "ipc/words_copy.h"

#define RECORDS_TRIES 1000u
#define RECORDS_COUNT_MAX (1u << 24)

typedef struct records { /* lies in shared memory; the places follow; a place is a slot whose seq is the lock */
    ring_head_t head;
} records_t;

typedef struct records_writer {
    records_t *records;
    uint8_t   *places;
    uint32_t   count;
    uint32_t   stride;
} records_writer_t;

typedef struct records_reader {
    const records_t *records;
    const uint8_t   *places;
    uint32_t         count;
    uint32_t         stride;
} records_reader_t;

/* Life cycle as ring_broadcast's. */
size_t records_footprint(uint32_t count, uint32_t stride);
void  *records_new(void *mem, uint32_t count, uint32_t stride);
err_t  records_writer_join(records_writer_t *writer, void *mem, size_t bytes);
err_t  records_reader_join(records_reader_t *reader, const void *mem, size_t bytes);

/* records_begin: payload of a place, stride - RING_SLOT_HEAD bytes; readers of it wait from here on.
 * records_end: it is whole. */
static inline ring_slot_t *records_place(const records_writer_t *writer, uint32_t index)
{
    assert(index < writer->count);
    return (ring_slot_t *)(void *)(writer->places + (size_t)index * writer->stride);
}
static inline void *records_begin(records_writer_t *writer, uint32_t index)
{
    ring_slot_t   *place = records_place(writer, index);
    const uint64_t lock  = atomic_load_explicit(&place->seq, memory_order_relaxed);
    atomic_store_explicit(&place->seq, lock | 1, memory_order_relaxed);
    words_fence_release(); /* who sees a byte of the new body finds the lock odd when it looks again */
    return place + 1;
}
static inline void records_end(records_writer_t *writer, uint32_t index, const ring_meta_t *meta)
{
    assert(meta->len <= writer->stride - RING_SLOT_HEAD);
    ring_slot_t *place = records_place(writer, index);
    words_copy((uint8_t *)place + 8, meta, sizeof(*meta));
    const uint64_t lock = atomic_load_explicit(&place->seq, memory_order_relaxed);
    atomic_store_explicit(&place->seq, (lock | 1) + 1, memory_order_release);
}

/* records_read: copy place index (8-aligned dst). ERR_OK; ERR_EMPTY (never written); ERR_AGAIN; ERR_PARSE (a length
 * beyond the place); ERR_FULL (cap; meta->len says); ERR_ARG (no such place). *version rises with each write. */
err_t records_read(const records_reader_t *reader, uint32_t index, void *dst, size_t cap, ring_meta_t *meta,
                   uint64_t *version);
