/* itch: the four messages of ITCH 5.0 that move orders, as they lie in a file (two bytes of length before each), and what
 * every implementation adds to its checksum after each. Read by the bench and by its peers, so that all parse alike.
 *
 * Threads  any; plain functions. Included by C and C++. Fields are big-endian. Prices are in 1/10000. */
#pragma once

#include <stdint.h>
#include <string.h>

enum { ITCH_ADD_BYTES = 36, ITCH_EXECUTED_BYTES = 31, ITCH_CANCEL_BYTES = 23, ITCH_DELETE_BYTES = 19 };
enum { ITCH_LOCATE = 1, ITCH_TIME = 5, ITCH_ID = 11, ITCH_SIDE = 19, ITCH_QTY = 19, ITCH_ADD_QTY = 20, ITCH_PX = 32 };

#define ITCH_TICK 100 /* a cent */

static inline uint32_t itch_u16(const uint8_t *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return __builtin_bswap16(v);
}
static inline uint32_t itch_u32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return __builtin_bswap32(v);
}
static inline uint64_t itch_u64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return __builtin_bswap64(v);
}

static inline uint64_t itch_fold(uint64_t sum, int64_t bid_px, int64_t bid_qty, int64_t ask_px, int64_t ask_qty)
{
    return (sum + (uint64_t)bid_px * 3 + (uint64_t)bid_qty * 5 + (uint64_t)ask_px * 7 + (uint64_t)ask_qty) *
           0x9e3779b97f4a7c15u;
}
