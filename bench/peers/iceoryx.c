/* iceoryx by its C binding: one publisher and one subscriber each way, written and read where the chunk lies,
 * nothing lost (the publisher waits for the subscriber). Needs its daemon, iox-roudi, which the benchmark starts. It
 * has no call for several messages at once. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <iceoryx_binding_c/enums.h>
#include <iceoryx_binding_c/log.h>
#include <iceoryx_binding_c/publisher.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/subscriber.h>

#include "bench/peers/peer.h"

#define QUEUE 256u /* the largest that the packaged build takes */

static iox_pub_storage_t pub_storage;
static iox_sub_storage_t sub_storage;
static iox_pub_t         to;
static iox_sub_t         from;

static void format(void *mem)
{
    (void)mem;
}

static bool join(void *mem, unsigned side)
{
    static const char *const ways[] = {"there", "back"};
    char                     name[64];
    (void)mem;
    snprintf(name, sizeof name, "hwal-bench-%d", (int)getpid());
    iox_set_loglevel(Iceoryx_LogLevel_Warn);
    iox_runtime_init(name);

    iox_pub_options_t pub;
    iox_pub_options_init(&pub);
    pub.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
    to                          = iox_pub_init(&pub_storage, "hwal", "bench", ways[side], &pub);

    iox_sub_options_t sub;
    iox_sub_options_init(&sub);
    sub.queueCapacity   = QUEUE;
    sub.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
    from                = iox_sub_init(&sub_storage, "hwal", "bench", ways[!side], &sub);
    for (unsigned tries = 0; tries < 5000; tries++) {
        if (iox_pub_has_subscribers(to) && iox_sub_get_subscription_state(from) == SubscribeState_SUBSCRIBED) {
            return true;
        }
        usleep(1000);
    }
    return false;
}

static bool send(const void *message)
{
    void *chunk = NULL;
    if (iox_pub_loan_chunk(to, &chunk, PEER_MESSAGE) != AllocationResult_SUCCESS) {
        return false;
    }
    memcpy(chunk, message, PEER_MESSAGE);
    iox_pub_publish_chunk(to, chunk);
    return true;
}

static bool receive(void *message)
{
    const void *chunk = NULL;
    if (iox_sub_take_chunk(from, &chunk) != ChunkReceiveResult_SUCCESS) {
        return false;
    }
    memcpy(message, chunk, PEER_MESSAGE);
    iox_sub_release_chunk(from, chunk);
    return true;
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

extern const peer_t peer_iceoryx;
const peer_t        peer_iceoryx = {"iceoryx", 0, format, join, send, receive, send_batch, receive_batch};
