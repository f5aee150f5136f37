/* levels: another library's ordered container as the price levels of one book, for the comparison in `hwal bench book`.
 *
 * All of them, and the flat array in bench_l2.c, do the same: set the quantity at a tick (0 removes it), then fold the
 * best bid and offer into a checksum. The loop over a chunk of updates lies beside the container, so that no call
 * between the two is measured. Included by C and C++. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct levels_step { /* one update of a level */
    uint32_t side;           /* 0 bid, 1 ask */
    int32_t  tick;
    int64_t  qty;
} levels_step_t;

typedef struct levels_peer {
    const char *name;
    void (*load)(const levels_step_t *steps, uint32_t n); /* these are all its levels */
    uint64_t (*run)(const levels_step_t *steps, uint32_t n, int64_t tick_px, uint64_t sum); /* returns the new sum */
} levels_peer_t;

static inline uint64_t levels_fold(uint64_t sum, int64_t bid_px, int64_t bid_qty, int64_t ask_px, int64_t ask_qty)
{
    return (sum + (uint64_t)bid_px * 3 + (uint64_t)bid_qty * 5 + (uint64_t)ask_px * 7 + (uint64_t)ask_qty) *
           0x9e3779b97f4a7c15u;
}

/* The one symbol that is looked up in hwal-peers.so; ends with a name of NULL. */
#define LEVELS_TABLE "hwal_levels_peers"
extern const levels_peer_t hwal_levels_peers[];

#ifdef __cplusplus
}
#endif
