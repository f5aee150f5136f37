/* The table of those peers that were built: the others are weak and null. */
#include "bench/peers/peer.h"

extern const peer_t peer_ck __attribute__((weak));
extern const peer_t peer_rte __attribute__((weak));
extern const peer_t peer_boost __attribute__((weak));
extern const peer_t peer_iceoryx __attribute__((weak));

const peer_t *const hwal_peers[PEER_COUNT] = {&peer_ck, &peer_rte, &peer_boost, &peer_iceoryx};
