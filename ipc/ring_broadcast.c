#include "ipc/ring_broadcast.h"

static const ring_kind_t broadcast = {.what         = "broadcast ring",
                                      .magic        = 0x31747361436c7768ull, /* "hwlCast1" */
                                      .head_bytes   = sizeof(ring_broadcast_t),
                                      .slots_min    = 2,
                                      .slots_max    = 1u << 24,
                                      .power_of_two = true};

size_t ring_broadcast_footprint(uint32_t slots, uint32_t stride)
{
    return ring_head_footprint(&broadcast, slots, stride);
}

void *ring_broadcast_new(void *mem, uint32_t slots, uint32_t stride)
{
    return ring_head_format(&broadcast, mem, slots, stride);
}

uint64_t ring_tail(const ring_broadcast_t *ring)
{
    /* acquire: pairs with the release of tail in ring_commit; every message up to here is whole */
    return atomic_load_explicit(&ring->tail, memory_order_acquire);
}

static uint64_t oldest_kept(uint64_t tail, uint64_t mask)
{
    return tail > mask ? tail - mask : 1;
}

uint64_t ring_oldest(const ring_reader_t *reader)
{
    return oldest_kept(ring_tail(reader->ring), reader->mask);
}

err_t ring_writer_join(ring_writer_t *writer, void *mem, size_t bytes)
{
    uint32_t    slots, stride;
    const err_t err = ring_head_check(&broadcast, mem, bytes, &slots, &stride);
    if (err != ERR_OK) {
        return err;
    }
    ring_broadcast_t *ring = mem;
    *writer                = (ring_writer_t){.ring   = ring,
                                             .slots  = (uint8_t *)mem + sizeof(*ring),
                                             .next   = ring_tail(ring) + 1,
                                             .mask   = slots - 1,
                                             .stride = stride};
    /* A writer that died behind the message and before the tail: readers may have that message already. */
    if (atomic_load_explicit(&ring_writer_slot(writer)->seq, memory_order_relaxed) == writer->next) {
        writer->next++;
    }
    return ERR_OK;
}

err_t ring_reader_join(ring_reader_t *reader, const void *mem, size_t bytes, ring_start_t start)
{
    uint32_t    slots, stride;
    const err_t err = ring_head_check(&broadcast, mem, bytes, &slots, &stride);
    if (err != ERR_OK) {
        return err;
    }
    const ring_broadcast_t *ring = mem;
    *reader                      = (ring_reader_t){
                             .ring = ring, .slots = (const uint8_t *)mem + sizeof(*ring), .mask = slots - 1, .stride = stride};
    reader->next = start == RING_NEWEST ? ring_tail(ring) + 1 : ring_oldest(reader);
    return ERR_OK;
}

void ring_reader_seek(ring_reader_t *reader, uint64_t seq)
{
    reader->next = seq ? seq : 1;
}

/* The slot of the message wanted shows a later word, seen: where to go on. */
static err_t lapped(ring_reader_t *reader, uint64_t seen)
{
    const uint64_t later = seen & ~RING_BUSY;
    if (((later - reader->next) & reader->mask) != 0) {
        reader->next++;
        return ERR_PARSE;
    }
    /* The slot itself proves that later - 1 was written. The tail is newer, but is believed only where it agrees with
     * the slot: at most one lap ahead of it. */
    const uint64_t proven = later - 1;
    const uint64_t tail   = ring_tail(reader->ring);
    const uint64_t newest = tail >= proven && tail - proven <= reader->mask + 1 ? tail : proven;
    uint64_t       next   = reader->after_loss == RING_NEWEST ? newest + 1 : oldest_kept(newest, reader->mask);
    next                  = next > reader->next ? next : reader->next + 1;
    reader->lost_from     = reader->next;
    reader->lost_to       = next - 1;
    reader->lost += next - reader->next;
    reader->next = next;
    return ERR_GAP;
}

err_t ring_read_slot(ring_reader_t *reader, uint64_t seen, void *dst, size_t cap, ring_meta_t *meta)
{
    const uint64_t want = reader->next;
    if (seen != want) {
        return lapped(reader, seen);
    }
    const ring_slot_t *slot =
        (const ring_slot_t *)(const void *)(reader->slots + ((want - 1) & reader->mask) * reader->stride);
    ring_meta_t meta_now;
    words_copy(&meta_now, (const uint8_t *)slot + 8, sizeof(meta_now));
    const bool fits  = meta_now.len <= reader->stride - RING_SLOT_HEAD;
    const bool takes = fits && meta_now.len <= cap;
    if (takes) {
        words_copy(dst, slot + 1, meta_now.len);
    }
    /* pairs with the release fence in ring_reserve: if a byte of a newer message was copied, seq shows it now */
    words_fence_acquire();
    seen = atomic_load_explicit(&slot->seq, memory_order_relaxed);
    if (seen != want) {
        return lapped(reader, seen);
    }
    *meta = meta_now;
    if (fits && !takes) {
        return ERR_FULL;
    }
    reader->next = want + 1;
    return fits ? ERR_OK : ERR_PARSE;
}
