#include "ipc/ring_lossless.h"

static const ring_kind_t lossless = {.what         = "lossless ring",
                                     .magic        = 0x3173734c6c617768ull, /* "hwalLss1" */
                                     .head_bytes   = sizeof(ring_lossless_t),
                                     .slots_min    = 2,
                                     .slots_max    = 1u << 20,
                                     .power_of_two = true};

size_t ring_lossless_footprint(uint32_t slots, uint32_t stride)
{
    return ring_head_footprint(&lossless, slots, stride);
}

void *ring_lossless_new(void *mem, uint32_t slots, uint32_t stride)
{
    return ring_head_format(&lossless, mem, slots, stride);
}

err_t lossless_writer_join(lossless_writer_t *writer, void *mem, size_t bytes)
{
    uint32_t    slots, stride;
    const err_t err = ring_head_check(&lossless, mem, bytes, &slots, &stride);
    if (err != ERR_OK) {
        return err;
    }
    ring_lossless_t        *ring  = mem;
    const lossless_writer_t fresh = {
        .ring = ring, .slots = (uint8_t *)mem + sizeof(*ring), .next = 1, .mask = slots - 1, .stride = stride};
    const uint64_t first = atomic_load_explicit(&lossless_slot_head(&fresh, 0)->seq, memory_order_relaxed);
    if (first != 0) {
        return err_set(ERR_STATE,
                       "lossless ring: slot 0 holds message %llu: each life of a writer has a ring of its own",
                       (unsigned long long)first);
    }
    *writer = fresh;
    return ERR_OK;
}

uint64_t lossless_cursor_taken(const ring_cursor_t *cursor, const ring_lossless_t *ring)
{
    /* acquire: the first pairs with the last release of lossless_reader_join, the second with that of lossless_take_n
     * (the reader is done with the bytes up to here) or of the next join, whose 0 the third then sees */
    const uint64_t before = atomic_load_explicit(&cursor->ring_id, memory_order_acquire);
    const uint64_t taken  = atomic_load_explicit(&cursor->taken, memory_order_acquire);
    const uint64_t after  = atomic_load_explicit(&cursor->ring_id, memory_order_relaxed);
    return before == ring->head.id && after == before ? taken : 0;
}

/* The reader's cursor, if it can be believed. */
static void refresh_taken(lossless_writer_t *writer)
{
    const uint64_t taken = lossless_cursor_taken(writer->cursor, writer->ring);
    if (taken > writer->taken && taken < writer->next) {
        writer->taken = taken;
    }
}

void lossless_writer_cursor(lossless_writer_t *writer, const ring_cursor_t *cursor)
{
    writer->cursor = cursor;
    if (cursor != NULL) {
        refresh_taken(writer);
    }
}

uint32_t lossless_room(lossless_writer_t *writer, uint32_t want)
{
    const uint64_t slots = writer->mask + 1;
    uint64_t       used  = writer->next - 1 - writer->taken;
    if (slots - used < want && writer->cursor != NULL) {
        refresh_taken(writer);
        used = writer->next - 1 - writer->taken;
    }
    return (uint32_t)(slots - used);
}

err_t lossless_put(lossless_writer_t *writer, const ring_meta_t *meta, const void *payload)
{
    assert(meta->len <= lossless_payload_max(writer));
    if (lossless_room(writer, 1) == 0) {
        return ERR_FULL;
    }
    memcpy(lossless_slot(writer, 0), payload, meta->len);
    lossless_meta(writer, 0, meta);
    lossless_commit(writer, 1);
    return ERR_OK;
}

static uint64_t word_of(const lossless_reader_t *reader, uint64_t n)
{
    const ring_slot_t *slot =
        (const ring_slot_t *)(const void *)(reader->slots + ((n - 1) & reader->mask) * reader->stride);
    /* acquire: pairs with the release in lossless_commit */
    return atomic_load_explicit(&slot->seq, memory_order_acquire);
}

err_t lossless_reader_join(lossless_reader_t *reader, const void *mem, size_t bytes, ring_cursor_t *cursor,
                           uint64_t taken)
{
    uint32_t    slots, stride;
    const err_t err = ring_head_check(&lossless, mem, bytes, &slots, &stride);
    if (err != ERR_OK) {
        return err;
    }
    const ring_lossless_t  *ring  = mem;
    const lossless_reader_t there = {.ring   = ring,
                                     .slots  = (const uint8_t *)mem + sizeof(*ring),
                                     .cursor = cursor,
                                     .next   = taken + 1,
                                     .mask   = slots - 1,
                                     .stride = stride};
    if (taken > 0 && word_of(&there, taken) < taken) {
        return err_set(ERR_STATE, "lossless ring: %llu messages taken, but its slot holds message %llu",
                       (unsigned long long)taken, (unsigned long long)word_of(&there, taken));
    }
    if (cursor != NULL) {
        if (word_of(&there, taken + 1) > taken + 1) {
            return err_set(ERR_STATE, "lossless ring: %llu messages taken, but the slot of the next holds message %llu",
                           (unsigned long long)taken, (unsigned long long)word_of(&there, taken + 1));
        }
        atomic_store_explicit(&cursor->ring_id, 0, memory_order_relaxed);
        atomic_store_explicit(&cursor->taken, taken, memory_order_release); /* the 0 goes with it */
        atomic_store_explicit(&cursor->ring_id, ring->head.id, memory_order_release);
    }
    *reader = there;
    return ERR_OK;
}

uint64_t lossless_written(const lossless_reader_t *reader)
{
    const uint64_t slots  = reader->mask + 1;
    uint64_t       newest = reader->next - 1;
    /* At most a lap to where the ring is now, and a lap through it; the bound is for a ring that is damaged or runs on. */
    for (uint64_t step = 0; step < 4 * slots; step++) {
        const uint64_t word = word_of(reader, newest + 1);
        if (word <= newest) {
            break;
        }
        /* A word of a later lap, committed or not, proves that what lay there before had been committed: nothing else
         * is ever overwritten. */
        newest = word == newest + 1 ? word : word - slots;
    }
    return newest;
}
