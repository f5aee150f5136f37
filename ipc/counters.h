/* counters: what a role counts, in shared memory, and beside it what these numbers are: name, type, unit, help. A monitor
 * of any build names them all; none has a list of its own.
 *
 *   | head 128: magic, count | value 8 | value 8 | ... to a multiple of 128 | row 192 | row 192 | ... |
 *
 * COUNTER_LIST is the one table: it makes the enum by which roles count and the rows (the catalogue) that `new` writes.
 * All roles have all counters (a word that a role does not count stays 0); the role and the instance are labels. New ones
 * are appended: who was built with a shorter list finds the ones it knows at their old places, and reads the rest by rows.
 *
 * Types    TOTAL: only grows during a life of its role. GAUGE: goes up and down.
 * Writer   one thread: counter_add is a plain add and a relaxed store, counter_set a relaxed store; rows never change.
 * Readers  any, relaxed loads; each number is whole, together they are of no one moment.
 * Trust    counters_at checks and copies a row: a name is [a-z][a-z0-9_]*, texts are printable ASCII and end. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"

/* name, the same in lower case, type, unit, help */
#define COUNTER_LIST(X)                                                                                                \
    X(TURNS, turns, TOTAL, "turns", "turns of the role's loop")                                                        \
    X(SLEEPS, sleeps, TOTAL, "sleeps", "times it slept for want of work")                                              \
    X(INPUTS, inputs, TOTAL, "messages", "input records applied by the engine")                                        \
    X(MD_MESSAGES, md_messages, TOTAL, "messages", "market data messages written or read")                             \
    X(MD_LOST, md_lost, TOTAL, "messages", "market data messages lost by being lapped")                                \
    X(ORDERS, orders, TOTAL, "orders", "new orders that passed risk and left")                                         \
    X(REPLACES, replaces, TOTAL, "requests", "replace requests that left")                                             \
    X(CANCELS, cancels, TOTAL, "requests", "cancel requests that left")                                                \
    X(QUERIES, queries, TOTAL, "requests", "status requests that left")                                                \
    X(DENIED, denied, TOTAL, "requests", "requests denied by risk")                                                    \
    X(EXECS, execs, TOTAL, "reports", "execution reports written or read")                                             \
    X(FILLS, fills, TOTAL, "fills", "fills booked")                                                                    \
    X(REJECTED, rejected, TOTAL, "requests", "orders and changes rejected by the venue")                               \
    X(ALARMS, alarms, TOTAL, "alarms", "alarms raised")                                                                \
    X(UNSENT, unsent, TOTAL, "requests",                                                                               \
      "orders and amends refused by an adapter: fenced, too old, killed or stopped")                                   \
    X(RING_FULL, ring_full, TOTAL, "times", "a lossless ring had no room")                                             \
    X(JOURNAL_RECORDS, journal_records, TOTAL, "records", "records written to the journal files")                      \
    X(JOURNAL_BYTES, journal_bytes, TOTAL, "bytes", "bytes written to the journal files, padding included")            \
    X(JOURNAL_SYNCS, journal_syncs, TOTAL, "syncs", "flushes to the disk")                                             \
    X(JOURNAL_FILES, journal_files, TOTAL, "files", "journal files begun")                                             \
    X(RECONNECTS, reconnects, TOTAL, "times", "connections to the venue made")                                         \
    X(LOG_LINES, log_lines, TOTAL, "lines", "lines written to its log")                                                \
    X(SENT_BYTES, sent_bytes, TOTAL, "bytes", "bytes sent to the venue")                                               \
    X(RECV_BYTES, recv_bytes, TOTAL, "bytes", "bytes received from the venue")                                         \
    X(RESTARTS, restarts, TOTAL, "times", "supervisor: roles started again")                                           \
    X(HELD, held, GAUGE, "requests", "requests held back until the journal is durable")                                \
    X(LANE_REQUESTS, lane_requests, TOTAL, "messages", "messages taken from lanes")                                    \
    X(LANE_CHECKS, lane_checks, TOTAL, "checks", "risk checks answered over lanes")                                    \
    X(LANE_ANSWERS, lane_answers, TOTAL, "messages", "messages written to lanes")                                      \
    X(LANES_CLOSED, lanes_closed, TOTAL, "lanes", "lanes closed, for whatever reason")                                 \
    X(LIMITS_VERSION, limits_version, GAUGE, "version", "version of the risk limits in force, at its last tick")

typedef enum counter {
#define X(upper, lower, type, unit, help) COUNTER_##upper,
    COUNTER_LIST(X)
#undef X
        COUNTER_COUNT
} counter_t;

typedef enum counter_type { COUNTER_TYPE_TOTAL = 1, COUNTER_TYPE_GAUGE = 2 } counter_type_t;

typedef struct counter_row { /* of the catalogue */
    char     name[32];       /* "md_messages" */
    char     unit[16];
    char     help[136];
    uint32_t type; /* counter_type_t */
    uint32_t reserved;
} counter_row_t;

typedef struct counters {
    uint64_t         magic;
    uint32_t         count; /* COUNTER_COUNT of the writer's build */
    uint32_t         reserved;
    uint8_t          pad[112];
    _Atomic uint64_t value[COUNTER_COUNT];
    _Alignas(128) counter_row_t row[COUNTER_COUNT]; /* of this build; of another: counters_at */
} counters_t;

_Static_assert(offsetof(counters_t, value) == 128, "mapped by others: bump SEGMENT_VERSION");
_Static_assert(sizeof(counter_row_t) == 192, "mapped by others: bump SEGMENT_VERSION");

/* Life cycle: align 128; new formats zeroed memory; join: ERR_PARSE and a sentence. */
size_t      counters_footprint(void);
counters_t *counters_new(void *mem);
err_t       counters_join(const void *mem, size_t bytes, const counters_t **out);

/* counters_at: counter i of whatever build wrote them: its row and its value. ERR_NOT_FOUND (no sentence): there are no
 * more; ERR_PARSE and a sentence: the row is damaged. Cost: 192 bytes. */
err_t counters_at(const counters_t *c, uint32_t i, counter_row_t *row, uint64_t *value);

/* counter_name: of one of this build's list; static. */
const char *counter_name(counter_t counter);

static inline void counter_set(counters_t *c, counter_t i, uint64_t value)
{
    atomic_store_explicit(&c->value[i], value, memory_order_relaxed);
}
static inline void counter_add(counters_t *c, counter_t i, uint64_t n)
{
    counter_set(c, i, atomic_load_explicit(&c->value[i], memory_order_relaxed) + n);
}
static inline uint64_t counter_get(const counters_t *c, counter_t i)
{
    return (uint32_t)i < c->count ? atomic_load_explicit(&c->value[i], memory_order_relaxed) : 0;
}
