#include "adapters/net/frame_link.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct frame_head {
    uint32_t len;
    uint16_t type;
    uint16_t flags;
    uint32_t topic;
    uint32_t reserved;
} frame_head_t;

_Static_assert(sizeof(frame_head_t) == FRAME_HEAD, "wire");
_Static_assert(FRAME_MAX % 8 == 0, "frames follow each other, 8-aligned");

static size_t frame_bytes(uint32_t len)
{
    return FRAME_HEAD + (((size_t)len + 7) & ~(size_t)7);
}

void frame_link_open(frame_link_t *link, int fd, void *in, size_t in_cap, void *out, size_t out_cap)
{
    assert(in_cap % 8 == 0 && in_cap >= 2 * FRAME_MAX && out_cap % 8 == 0 && out_cap >= 2 * FRAME_MAX);
    assert((uintptr_t)in % 8 == 0 && (uintptr_t)out % 8 == 0);
    *link = (frame_link_t){.fd = fd, .in = in, .in_cap = in_cap, .out = out, .out_cap = out_cap};
}

void frame_link_close(frame_link_t *link)
{
    if (link->fd >= 0) {
        close(link->fd);
        link->fd = -1;
    }
}

/* ---- out ----------------------------------------------------------------------------------------------------------- */

size_t frame_link_room(const frame_link_t *link)
{
    return link->out_cap - (link->out_end - link->out_at);
}

/* What is left moves to the front; at the rate at which the kernel takes, that is rare and short. */
static void out_compact(frame_link_t *link)
{
    const size_t keep = link->out_at % 8; /* frames stay 8-aligned: a frame half sent keeps its place within 8 */
    const size_t from = link->out_at - keep;
    memmove(link->out, link->out + from, link->out_end - from);
    link->out_end -= from;
    link->out_at = keep;
}

err_t frame_link_put(frame_link_t *link, uint32_t topic, const msg_t *msg)
{
    if (link->out_cap - link->out_end < FRAME_MAX) {
        out_compact(link);
    }
    if (link->out_cap - link->out_end < FRAME_MAX) {
        return ERR_FULL;
    }
    uint8_t    *at  = link->out + link->out_end;
    size_t      len = 0;
    const err_t err = message_write(msg, at + FRAME_HEAD, MESSAGE_BYTES_MAX, &len);
    if (err != ERR_OK) {
        return err;
    }
    const frame_head_t head  = {.len = (uint32_t)len, .type = (uint16_t)msg->type, .topic = topic};
    const size_t       bytes = frame_bytes((uint32_t)len);
    memcpy(at, &head, sizeof head);
    memset(at + FRAME_HEAD + len, 0, bytes - FRAME_HEAD - len);
    link->out_end += bytes;
    link->put += bytes;
    return ERR_OK;
}

err_t frame_link_flush(frame_link_t *link)
{
    while (link->out_at < link->out_end) {
        const ssize_t n =
            send(link->fd, link->out + link->out_at, link->out_end - link->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return ERR_AGAIN;
        }
        if (n < 0) {
            return err_set(ERR_END, "session: send: %s", strerror(errno));
        }
        link->out_at += (size_t)n;
        link->sent += (uint64_t)n;
    }
    link->out_at = link->out_end = 0;
    return ERR_OK;
}

/* ---- in ------------------------------------------------------------------------------------------------------------ */

err_t frame_link_fill(frame_link_t *link)
{
    if (link->in_at > 0) { /* frames begin at multiples of 8, so what is left stays aligned */
        memmove(link->in, link->in + link->in_at, link->in_end - link->in_at);
        link->in_end -= link->in_at;
        link->in_at = 0;
    }
    if (link->in_end == link->in_cap) {
        return ERR_FULL;
    }
    ssize_t n;
    do {
        n = recv(link->fd, link->in + link->in_end, link->in_cap - link->in_end, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return ERR_AGAIN;
    }
    if (n <= 0) {
        return err_set(ERR_END, "session: %s", n == 0 ? "closed by the other side" : strerror(errno));
    }
    link->in_end += (size_t)n;
    link->received += (uint64_t)n;
    return ERR_OK;
}

err_t frame_link_next(frame_link_t *link, uint32_t *topic, msg_t *msg)
{
    const size_t there = link->in_end - link->in_at;
    frame_head_t head;
    if (there < FRAME_HEAD) {
        return ERR_AGAIN;
    }
    memcpy(&head, link->in + link->in_at, sizeof head);
    if (head.len == 0 || head.len > MESSAGE_BYTES_MAX || head.flags != 0 || head.reserved != 0) {
        return err_set(ERR_PARSE, "session: frame of %u bytes, flags %u, reserved %u, limits 1..%u, 0, 0", head.len,
                       head.flags, head.reserved, MESSAGE_BYTES_MAX);
    }
    if (there < frame_bytes(head.len)) {
        return ERR_AGAIN;
    }
    if (message_read(head.type, link->in + link->in_at + FRAME_HEAD, head.len, msg) != ERR_OK) {
        return err_wrap(ERR_PARSE, "session: frame of type %u", head.type);
    }
    *topic = head.topic;
    link->in_at += frame_bytes(head.len);
    return ERR_OK;
}
