/* Concurrency Kit's ck_ring, one producer, one consumer, messages by value in the ring's own buffer. It has no call for
 * several messages at once: a batch is a row of single ones. */
#include <ck_ring.h>

#include "bench/peers/peer.h"

CK_RING_PROTOTYPE(message, peer_message)

typedef struct way {
    _Alignas(128) ck_ring_t ring;
    _Alignas(128) peer_message_t buffer[PEER_SLOTS];
} way_t;

static way_t *to, *from;

static void format(void *mem)
{
    way_t *ways = mem;
    ck_ring_init(&ways[0].ring, PEER_SLOTS);
    ck_ring_init(&ways[1].ring, PEER_SLOTS);
}

static bool join(void *mem, unsigned side)
{
    to   = (way_t *)mem + side;
    from = (way_t *)mem + !side;
    return true;
}

static bool send(const void *message)
{
    return CK_RING_ENQUEUE_SPSC(message, &to->ring, to->buffer, (peer_message_t *)message);
}

static bool receive(void *message)
{
    return CK_RING_DEQUEUE_SPSC(message, &from->ring, from->buffer, (peer_message_t *)message);
}

static uint32_t send_batch(const void *messages, uint32_t n)
{
    uint32_t i = 0;
    while (i < n && send((const peer_message_t *)messages + i)) {
        i++;
    }
    return i;
}

static uint32_t receive_batch(void *messages, uint32_t n)
{
    uint32_t i = 0;
    while (i < n && receive((peer_message_t *)messages + i)) {
        i++;
    }
    return i;
}

extern const peer_t peer_ck;
const peer_t        peer_ck = {"ck_ring", 2 * sizeof(way_t), format, join, send, receive, send_batch, receive_batch};
