/* DPDK's rte_ring of elements, one producer, one consumer; its ring functions need none of DPDK's environment. */
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "bench/peers/peer.h"

typedef struct way { /* the elements follow the ring's head directly */
    _Alignas(128) struct rte_ring ring;
    uint8_t elements[PEER_SLOTS * PEER_MESSAGE];
} way_t;

static struct rte_ring *to, *from;

static void format(void *mem)
{
    way_t *ways = mem;
    for (unsigned i = 0; i < 2; i++) {
        rte_ring_init(&ways[i].ring, i == 0 ? "there" : "back", PEER_SLOTS, RING_F_SP_ENQ | RING_F_SC_DEQ);
    }
}

static bool join(void *mem, unsigned side)
{
    to   = &((way_t *)mem + side)->ring;
    from = &((way_t *)mem + !side)->ring;
    return true;
}

static bool send(const void *message)
{
    return rte_ring_sp_enqueue_elem(to, (void *)(uintptr_t)message, PEER_MESSAGE) == 0;
}

static bool receive(void *message)
{
    return rte_ring_sc_dequeue_elem(from, message, PEER_MESSAGE) == 0;
}

static uint32_t send_batch(const void *messages, uint32_t n)
{
    return rte_ring_sp_enqueue_burst_elem(to, messages, PEER_MESSAGE, n, NULL);
}

static uint32_t receive_batch(void *messages, uint32_t n)
{
    return rte_ring_sc_dequeue_burst_elem(from, messages, PEER_MESSAGE, n, NULL);
}

extern const peer_t peer_rte;
const peer_t        peer_rte = {"rte_ring", 2 * sizeof(way_t), format, join, send, receive, send_batch, receive_batch};
