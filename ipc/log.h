/* log: a role's own words, in a broadcast ring of LOG messages in its segment: readable after its death, read by the
 * supervisor (who prints them) and by `hwal postmortem`. No file, no system call.
 *
 * The same text again within a second is counted, not repeated: it is written once more, with its count, when the second
 * is over. Threads: one writer. Cost: formats text; not for the hot path. */
#pragma once

#include "core/types/msg.h"
#include "ipc/ring_broadcast.h"

#define LOG_SLOTS 256u
#define LOG_STRIDE 512u

typedef struct log {
    ring_writer_t ring;
    int64_t       last_mono_ns;
    uint32_t      repeats;
    log_level_t   last_level;
    char          last[LOG_TEXT_MAX + 1];
} log_t;

/* log_write: text as by printf, cut at LOG_TEXT_MAX. log may be one whose ring.ring is NULL: then to stderr. */
void log_write(log_t *log, log_level_t level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* log_flush: write what was only counted so far, if its second is over; while housekeeping. */
void log_flush(log_t *log, int64_t mono_ns);
