#include "ipc/records.h"

static const ring_kind_t records_kind = {.what       = "records",
                                         .magic      = 0x316365526c617768ull, /* "hwalRec1" */
                                         .head_bytes = sizeof(records_t),
                                         .slots_min  = 1,
                                         .slots_max  = RECORDS_COUNT_MAX};

size_t records_footprint(uint32_t count, uint32_t stride)
{
    return ring_head_footprint(&records_kind, count, stride);
}

void *records_new(void *mem, uint32_t count, uint32_t stride)
{
    return ring_head_format(&records_kind, mem, count, stride);
}

err_t records_writer_join(records_writer_t *writer, void *mem, size_t bytes)
{
    uint32_t    count, stride;
    const err_t err = ring_head_check(&records_kind, mem, bytes, &count, &stride);
    if (err == ERR_OK) {
        *writer = (records_writer_t){
            .records = mem, .places = (uint8_t *)mem + sizeof(records_t), .count = count, .stride = stride};
    }
    return err;
}

err_t records_reader_join(records_reader_t *reader, const void *mem, size_t bytes)
{
    uint32_t    count, stride;
    const err_t err = ring_head_check(&records_kind, mem, bytes, &count, &stride);
    if (err == ERR_OK) {
        *reader = (records_reader_t){
            .records = mem, .places = (const uint8_t *)mem + sizeof(records_t), .count = count, .stride = stride};
    }
    return err;
}

/* One try. ERR_AGAIN: it was or is being written. */
static err_t read_once(const ring_slot_t *place, uint32_t room, void *dst, size_t cap, ring_meta_t *meta,
                       uint64_t *version)
{
    /* acquire: pairs with the release in records_end */
    const uint64_t lock = atomic_load_explicit(&place->seq, memory_order_acquire);
    if (lock == 0) {
        return ERR_EMPTY;
    }
    if (lock & 1) {
        return ERR_AGAIN;
    }
    ring_meta_t meta_now;
    words_copy(&meta_now, (const uint8_t *)place + 8, sizeof(meta_now));
    const bool fits  = meta_now.len <= room;
    const bool takes = fits && meta_now.len <= cap;
    if (takes) {
        words_copy(dst, place + 1, meta_now.len);
    }
    /* pairs with the release fence in records_begin: if a newer byte was copied, the lock shows it now */
    words_fence_acquire();
    if (atomic_load_explicit(&place->seq, memory_order_relaxed) != lock) {
        return ERR_AGAIN;
    }
    *meta    = meta_now;
    *version = lock / 2;
    return takes ? ERR_OK : fits ? ERR_FULL : ERR_PARSE;
}

err_t records_read(const records_reader_t *reader, uint32_t index, void *dst, size_t cap, ring_meta_t *meta,
                   uint64_t *version)
{
    if (index >= reader->count) {
        return err_set(ERR_ARG, "records: no place %u, there are %u", index, reader->count);
    }
    const ring_slot_t *place = (const ring_slot_t *)(const void *)(reader->places + (size_t)index * reader->stride);
    err_t              err   = ERR_AGAIN;
    for (uint32_t i = 0; i < RECORDS_TRIES && err == ERR_AGAIN; i++) {
        err = read_once(place, reader->stride - RING_SLOT_HEAD, dst, cap, meta, version);
        if (err == ERR_AGAIN) {
            __builtin_ia32_pause();
        }
    }
    return err;
}
