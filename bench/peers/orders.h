/* orders: a book of single orders that matches, as others would write it, for the comparison in `hwal bench book`.
 *
 * All of them, and ours in bench_match.c, do the same with each event (add, cancel, take what it can and drop the rest)
 * and write the same reports: one of 64 bytes into a ring for each acknowledgement, trade and cancel. An order that
 * meets a resting one of its owner takes no more, and what is left of it is dropped. The loop over a chunk of events
 * lies beside the book, so that no call between the two is measured. Included by C and C++. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { ORDERS_ADD, ORDERS_CANCEL, ORDERS_TAKE }; /* kinds of events */
enum { ORDERS_ACK, ORDERS_TRADE, ORDERS_CANCELED };

#define ORDERS_RING 1024u /* reports */

typedef struct orders_event {
    uint64_t id;
    int64_t  px;
    uint32_t qty;
    uint32_t owner;
    uint32_t book;
    uint8_t  kind;
    uint8_t  sell;
    uint16_t reserved;
} orders_event_t;

typedef struct orders_report {
    uint64_t seq; /* of the event */
    uint64_t id;
    uint64_t maker_id; /* trades */
    int64_t  px;       /* trades: the maker's */
    int64_t  qty;
    int64_t  leaves_qty; /* of the order; trades: of the maker */
    uint32_t kind;
    uint32_t owner;
    uint64_t reserved;
} orders_report_t;

typedef struct orders_out {
    uint64_t        seq;
    uint64_t        count; /* reports since the beginning; the next one goes to ring[count % ORDERS_RING] */
    orders_report_t ring[ORDERS_RING];
} orders_out_t;

typedef struct orders_peer {
    const char *name;
    void *(*open)(uint32_t book_count);
    void (*run)(void *books, const orders_event_t *events, uint32_t n, orders_out_t *out);
    void (*close)(void *books);
} orders_peer_t;

static inline void orders_put(orders_out_t *out, uint32_t kind, const orders_event_t *event, uint64_t maker_id,
                              int64_t px, int64_t qty, int64_t leaves_qty)
{
    orders_report_t *report = &out->ring[out->count++ % ORDERS_RING];
    report->seq             = out->seq;
    report->id              = event->id;
    report->maker_id        = maker_id;
    report->px              = px;
    report->qty             = qty;
    report->leaves_qty      = leaves_qty;
    report->kind            = kind;
    report->owner           = event->owner;
    report->reserved        = 0;
}

/* The one symbol that is looked up in hwal-peers.so; ends with a name of NULL. */
#define ORDERS_TABLE "hwal_orders_peers"
extern const orders_peer_t hwal_orders_peers[];

#ifdef __cplusplus
}
#endif
