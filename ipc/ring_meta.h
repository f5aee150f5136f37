/* ring_meta: what both kinds of ring, and records, have in common: how the object begins, how a slot lies in memory,
 * and what is said of a message beside its sequence.
 *
 *   object, 128-aligned                  | ring_head_t 128: magic, slots, stride | ... | slot 0 | slot 1 | ...
 *   slot, stride bytes, 64-aligned       0        8     12     14     16      20      24 ...
 *                                        | seq    | len | type | flags | topic | tenant | payload, 8-aligned |
 *
 * The payload is a FlatBuffers table of ipc/schema/hwal.fbs; type says which (msg_type_t is the schema id), so a ring
 * carries no file identifiers. seq is the object's own and says in one word whether the slot holds message n: see each
 * header. Everything in a slot is the writer's; a reader believes len and type only within the stride.
 *
 * Trust    ring_head_check reads magic, slots and stride once, checks them against the room that the object has, and
 *          hands out the values it checked: nobody reads them from shared memory again. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"

#define RING_SLOT_HEAD 24u
#define RING_STRIDE_MAX 65536u

typedef struct ring_meta {
    uint32_t len; /* of the payload */
    uint16_t type;
    uint16_t flags;  /* 0 */
    uint32_t topic;  /* what a reader filters by: the instrument's id, 0 = none */
    uint32_t tenant; /* whose it is; 0 = everybody's */
} ring_meta_t;

typedef struct ring_slot { /* in shared memory; the payload follows */
    _Atomic uint64_t seq;
    ring_meta_t      meta;
} ring_slot_t;

_Static_assert(sizeof(ring_meta_t) == 16, "mapped by others: bump SEGMENT_VERSION");
_Static_assert(sizeof(ring_slot_t) == RING_SLOT_HEAD, "mapped by others: bump SEGMENT_VERSION");

typedef struct ring_head { /* in shared memory; written by new, then never */
    uint64_t magic;        /* stored last, with release */
    uint32_t slots;
    uint32_t stride;
    uint64_t id; /* of this ring and no other: random, never 0 */
    uint8_t  pad[104];
} ring_head_t;

_Static_assert(sizeof(ring_head_t) == 128, "mapped by others: bump SEGMENT_VERSION");

typedef struct ring_kind { /* what an object of a kind must be like */
    const char *what;      /* "broadcast ring": begins its sentences */
    uint64_t    magic;
    uint32_t    head_bytes; /* where slot 0 lies */
    uint32_t    slots_min;
    uint32_t    slots_max;
    bool        power_of_two;
} ring_kind_t;

/* ring_head_footprint: bytes of an object, 0 and a sentence for sizes out of the kind's limits. ring_head_format: zeroed
 * 128-aligned memory becomes one; NULL and a sentence for such sizes. ring_head_check: is mem, with room for bytes, one
 * of that kind? *slots and *stride are what was checked. ERR_PARSE and a sentence that names the field. */
size_t ring_head_footprint(const ring_kind_t *kind, uint32_t slots, uint32_t stride);
void  *ring_head_format(const ring_kind_t *kind, void *mem, uint32_t slots, uint32_t stride);
err_t  ring_head_check(const ring_kind_t *kind, const void *mem, size_t bytes, uint32_t *slots, uint32_t *stride);
