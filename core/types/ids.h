/* ids: the shape of the 64-bit ClOrdID, unique for ever in an instance.
 *
 *   63       52 51      44 43                                   0
 *   | epoch 12 | origin 8 | sequence 44 bits, from 1            |
 *
 * epoch     raised at every start (it is durable before the first order), so an id of an earlier life never comes back
 * origin    who minted it: 0 the engine, 1..255 a strategy slot or a lane
 * sequence  strictly rising within (epoch, origin): an id at or below the newest one seen has been seen, so "seen
 *           before" (code 113) needs no table and its window is for ever
 *
 * An id is never 0. 2^44 orders of one origin are 200 days at a million a second. */
#pragma once

#include <stdint.h>

#define CL_ORD_ID_ORIGINS 256u
#define CL_ORD_ID_SEQ_BITS 44
#define CL_ORD_ID_SEQ_MAX ((1ULL << CL_ORD_ID_SEQ_BITS) - 1)
#define CL_ORD_ID_EPOCH_MAX 4095u

static inline uint64_t cl_ord_id_make(uint32_t epoch, uint32_t origin, uint64_t seq)
{
    return (uint64_t)(epoch & 4095u) << 52 | (uint64_t)(origin & 255u) << CL_ORD_ID_SEQ_BITS |
           (seq & CL_ORD_ID_SEQ_MAX);
}

static inline uint32_t cl_ord_id_epoch(uint64_t id)
{
    return (uint32_t)(id >> 52);
}
static inline uint32_t cl_ord_id_origin(uint64_t id)
{
    return (uint32_t)(id >> CL_ORD_ID_SEQ_BITS) & 255u;
}
static inline uint64_t cl_ord_id_seq(uint64_t id)
{
    return id & CL_ORD_ID_SEQ_MAX;
}

/* cl_ord_id_mark: place of an id among those of its origin: a later one is greater, and none is 0. */
static inline uint64_t cl_ord_id_mark(uint64_t id)
{
    return (uint64_t)cl_ord_id_epoch(id) << CL_ORD_ID_SEQ_BITS | cl_ord_id_seq(id);
}
