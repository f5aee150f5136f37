/* id_map: 64-bit ids, any values but 0, to 32-bit row numbers, in a caller's array: open addressing, linear probing,
 * deletion by shifting back (no tombstones, so a map that lives for days is as fast as a fresh one).
 *
 * Sized to the rows that can be live at once, never to the ids that ever were: a table that stays in the cache is worth
 * three times a sparse one. At most half full, since slots >= 2 * rows_max.
 *
 * Owner    whoever owns the array; one thread. Plain data, no pointers.
 * Cost     O(1) expected; the owner guarantees that put finds room (rows_max is its limit, not ours). */
#pragma once

#include <assert.h>
#include <stdint.h>

#define ID_MAP_NONE UINT32_MAX
#define ID_MAP_ROWS_MAX (1u << 24)

typedef struct id_slot { /* id 0 = empty */
    uint64_t id;
    uint32_t row;
    uint32_t reserved;
} id_slot_t;

/* id_map_slots: slots to provide for rows_max live rows, 1 <= rows_max <= ID_MAP_ROWS_MAX; a power of two. */
static inline uint32_t id_map_slots(uint32_t rows_max)
{
    uint32_t slots = 8;
    while (slots < 2 * rows_max) {
        slots *= 2;
    }
    return slots;
}

/* id_map_home: where an id would lie; Fibonacci hashing spreads the consecutive ids that everyone uses. */
static inline uint32_t id_map_home(uint64_t id, uint32_t slot_count)
{
    return (uint32_t)((id * 0x9E3779B97F4A7C15ULL) >> 32) & (slot_count - 1);
}

/* id_map_find: the row of id, ID_MAP_NONE when it is not there. */
static inline uint32_t id_map_find(const id_slot_t *slots, uint32_t slot_count, uint64_t id)
{
    for (uint32_t i = id_map_home(id, slot_count); slots[i].id != 0; i = (i + 1) & (slot_count - 1)) {
        if (slots[i].id == id) {
            return slots[i].row;
        }
    }
    return ID_MAP_NONE;
}

/* id_map_put: id must be new and not 0; fewer than half of the slots are used before. */
static inline void id_map_put(id_slot_t *slots, uint32_t slot_count, uint64_t id, uint32_t row)
{
    assert(id != 0);
    uint32_t i = id_map_home(id, slot_count);
    while (slots[i].id != 0) {
        assert(slots[i].id != id);
        i = (i + 1) & (slot_count - 1);
    }
    slots[i] = (id_slot_t){.id = id, .row = row};
}

/* id_map_drop: id must be there. Entries behind the hole move up when the hole lies on their way from home. */
static inline void id_map_drop(id_slot_t *slots, uint32_t slot_count, uint64_t id)
{
    const uint32_t mask = slot_count - 1;
    uint32_t       hole = id_map_home(id, slot_count);
    while (slots[hole].id != id) {
        assert(slots[hole].id != 0);
        hole = (hole + 1) & mask;
    }
    for (uint32_t i = (hole + 1) & mask; slots[i].id != 0; i = (i + 1) & mask) {
        const uint32_t home = id_map_home(slots[i].id, slot_count);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            slots[hole] = slots[i];
            hole        = i;
        }
    }
    slots[hole] = (id_slot_t){0};
}
