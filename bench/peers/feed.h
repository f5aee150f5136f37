/* feed: another way to keep the books of an L3 feed, in hwal-peers.so: it parses the messages of itch.h, keeps orders in
 * their queues, and adds best bid and offer to the checksum after each. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct feed_peer {
    const char *name;
    void *(*make)(uint32_t books, uint32_t orders); /* numbers 0 .. books - 1; orders: live at once, of all */
    uint64_t (*run)(void *state, const uint8_t *at, uint32_t messages, uint64_t sum);
    void (*drop)(void *state);
} feed_peer_t;

/* The symbol that is looked up; ends with NULL. */
#define FEED_PEER_TABLE "hwal_feed_peers"
extern const feed_peer_t *const hwal_feed_peers[];

#ifdef __cplusplus
}
#endif
