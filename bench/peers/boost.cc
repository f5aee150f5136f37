/* Boost's lockfree spsc_queue with its capacity fixed at compile time, so that it lies in shared memory as it is. */
#include <boost/lockfree/spsc_queue.hpp>

#include <new>

#include "bench/peers/peer.h"

namespace
{

using queue_t = boost::lockfree::spsc_queue<peer_message_t, boost::lockfree::capacity<PEER_SLOTS>>;

struct alignas(128) way_t {
    queue_t queue;
};

queue_t *to, *from;

void format(void *mem)
{
    new (mem) way_t[2];
}

bool join(void *mem, unsigned side)
{
    auto *ways = static_cast<way_t *>(mem);
    to         = &ways[side].queue;
    from       = &ways[!side].queue;
    return true;
}

bool send(const void *message)
{
    return to->push(*static_cast<const peer_message_t *>(message));
}

bool receive(void *message)
{
    return from->pop(*static_cast<peer_message_t *>(message));
}

uint32_t send_batch(const void *messages, uint32_t n)
{
    return static_cast<uint32_t>(to->push(static_cast<const peer_message_t *>(messages), n));
}

uint32_t receive_batch(void *messages, uint32_t n)
{
    return static_cast<uint32_t>(from->pop(static_cast<peer_message_t *>(messages), n));
}

} // namespace

extern "C" const peer_t peer_boost;
const peer_t            peer_boost = {"boost spsc_queue", 2 * sizeof(way_t), format, join, send, receive,
                                      send_batch,         receive_batch};
