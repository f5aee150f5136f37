/* peer: another project's queue, as the benchmarks of ipc drive it. All of them live in hwal-peers.so beside
 * hwal, which `hwal bench` opens when it is there; hwal itself links none of them.
 *
 * A peer carries messages of PEER_MESSAGE bytes both ways between two processes that were one before a fork:
 * format() once in zeroed shared memory (128-aligned) before it, then in each process join(), which keeps what it
 * needs in statics of its own. Side 0 and side 1 each send to the other.
 *
 * Threads  one in each process. Included by C and C++. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PEER_MESSAGE 64u
#define PEER_SLOTS 4096u

typedef struct peer {
    const char *name;
    size_t      bytes; /* of shared memory, both ways; a multiple of 128 */
    void (*format)(void *mem);
    bool (*join)(void *mem, unsigned side);
    bool (*send)(const void *message); /* false: full */
    bool (*receive)(void *message);    /* false: empty */
    uint32_t (*send_batch)(const void *messages,
                           uint32_t    n); /* how many went; where there is no such call: one by one */
    uint32_t (*receive_batch)(void *messages, uint32_t n);
} peer_t;

typedef struct peer_message {
    uint64_t words[PEER_MESSAGE / 8];
} peer_message_t;

/* The one symbol that is looked up: peers whose packages were there at the time of the build; NULL = not there. */
#define PEER_TABLE "hwal_peers"
enum { PEER_CK, PEER_RTE, PEER_BOOST, PEER_ICEORYX, PEER_COUNT };
extern const peer_t *const hwal_peers[PEER_COUNT];

#ifdef __cplusplus
}
#endif
