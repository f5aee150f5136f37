/* counters: what a role counts, in shared memory, named by one table.
 *
 * A role's counters are one object: a head and COUNTER_COUNT 64-bit words, all roles alike (a word that a role does not
 * count stays 0). Single writer: counter_add is a plain add and a relaxed store; readers load relaxed. Names, units and
 * help come from COUNTER_LIST alone, so monitors and exporters need no list of their own. New ones are appended. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"

/* name, the same in lower case, unit, help */
#define COUNTER_LIST(X)                                                                                                \
    X(TURNS, turns, "turns", "turns of the role's loop")                                                               \
    X(SLEEPS, sleeps, "sleeps", "times it slept for want of work")                                                     \
    X(INPUTS, inputs, "messages", "input records applied by the engine")                                               \
    X(MD_MESSAGES, md_messages, "messages", "market data messages written or read")                                    \
    X(MD_LOST, md_lost, "messages", "market data messages lost by being lapped")                                       \
    X(ORDERS, orders, "orders", "new orders that passed risk and left")                                                \
    X(REPLACES, replaces, "requests", "replace requests that left")                                                    \
    X(CANCELS, cancels, "requests", "cancel requests that left")                                                       \
    X(QUERIES, queries, "requests", "status requests that left")                                                       \
    X(DENIED, denied, "requests", "requests denied by risk")                                                           \
    X(EXECS, execs, "reports", "execution reports written or read")                                                    \
    X(FILLS, fills, "fills", "fills booked")                                                                           \
    X(REJECTED, rejected, "requests", "orders and changes rejected by the venue")                                      \
    X(ALARMS, alarms, "alarms", "alarms raised")                                                                       \
    X(UNSENT, unsent, "requests", "orders and amends refused by an adapter: fenced, too old, killed or stopped")       \
    X(RING_FULL, ring_full, "times", "a lossless ring had no room")                                                    \
    X(JOURNAL_RECORDS, journal_records, "records", "records written to the journal files")                             \
    X(JOURNAL_BYTES, journal_bytes, "bytes", "bytes written to the journal files, padding included")                   \
    X(JOURNAL_SYNCS, journal_syncs, "syncs", "flushes to the disk")                                                    \
    X(JOURNAL_FILES, journal_files, "files", "journal files begun")                                                    \
    X(RECONNECTS, reconnects, "times", "connections to the venue made")                                                \
    X(LOG_LINES, log_lines, "lines", "lines written to its log")                                                       \
    X(SENT_BYTES, sent_bytes, "bytes", "bytes sent to the venue")                                                      \
    X(RECV_BYTES, recv_bytes, "bytes", "bytes received from the venue")                                                \
    X(RESTARTS, restarts, "times", "supervisor: roles started again")

typedef enum counter {
#define X(name, lower, unit, help) COUNTER_##name,
    COUNTER_LIST(X)
#undef X
        COUNTER_COUNT
} counter_t;

typedef struct counters {
    uint64_t         magic;
    uint32_t         count; /* COUNTER_COUNT of the writer's build */
    uint32_t         reserved;
    uint8_t          pad[112];
    _Atomic uint64_t value[COUNTER_COUNT];
} counters_t;

_Static_assert(offsetof(counters_t, value) == 128, "mapped by others: bump SEGMENT_VERSION");

typedef struct counter_info {
    const char *name; /* "md_messages" */
    const char *unit;
    const char *help;
} counter_info_t;

/* Life cycle: align 128; new formats zeroed memory; join: ERR_PARSE and a sentence. counter_info: static; counter is one
 * of the list. */
size_t                counters_footprint(void);
counters_t           *counters_new(void *mem);
err_t                 counters_join(const void *mem, size_t bytes, const counters_t **out);
const counter_info_t *counter_info(counter_t counter);

static inline void counter_add(counters_t *c, counter_t i, uint64_t n)
{
    const uint64_t now = atomic_load_explicit(&c->value[i], memory_order_relaxed);
    atomic_store_explicit(&c->value[i], now + n, memory_order_relaxed);
}
static inline uint64_t counter_get(const counters_t *c, counter_t i)
{
    return (uint32_t)i < c->count ? atomic_load_explicit(&c->value[i], memory_order_relaxed) : 0;
}
