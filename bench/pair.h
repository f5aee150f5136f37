/* pair: two processes on two CPUs that measure together: this one, and one that it forks, which spins for tasks.
 * Around each window of work stands a probe, one cache line bounced 1,000 times between the two, which says how far
 * apart the CPUs are at that moment (a hypervisor moves them):
 *
 *   | probe | task: both sides work, this one times | probe |       regime of the window:
 *
 *   S  below 80 ns a bounce (the same core's threads)   N  below 200 (the same cache)   F  above
 *   X  the probes differ by more than half, or either process was switched out against its will meanwhile: such
 *      windows are reported apart, with their number
 *
 * Memory   tasks and what they use are set up before pair_open, in memory that a fork shares (pair_memory), so
 *          addresses are equal in both processes. The other process ends with this one.
 * Threads  one in each process. */
#pragma once

#include <stdatomic.h>
#include <sys/types.h>

#include "bench/bench.h"

#define PAIR_WINDOW 1000u /* bounces of a probe */

typedef enum pair_regime { PAIR_S, PAIR_N, PAIR_F, PAIR_X, PAIR_REGIMES } pair_regime_t;

typedef void (*pair_task_t)(void *context, uint32_t count); /* runs in the other process */

typedef struct pair_shared { /* who writes: this process, but for word (both) and the last line (the other one) */
    _Alignas(128) _Atomic uint64_t word;
    _Alignas(128) _Atomic uint32_t go; /* number of the task */
    pair_task_t task;
    void       *context;
    uint32_t    count;
    _Alignas(128) _Atomic uint32_t done;
    uint64_t switches; /* against its will, up to the end of the task done */
} pair_shared_t;

typedef struct pair {
    const bench_t *bench;
    pair_shared_t *shared;
    pid_t          other;
    int            other_cpu;
    uint32_t       task; /* number of the last one */
    uint64_t       switches_before;
    double         probe_before;
} pair_t;

const char *pair_regime_str(pair_regime_t regime);

/* pair_pin: this process to one CPU; false when it may not. pair_other_cpu: one that it may use beside cpu, -1 =
 * none. */
bool pair_pin(int cpu);
int  pair_other_cpu(int cpu);

/* pair_memory: zeroed pages that a fork shares; ERR_LIMIT. */
err_t pair_memory(size_t bytes, void **out);

/* pair_open: fork; the other process pins itself, runs start(context) when there is one (false ends it), and waits.
 * ERR_NOT_FOUND: one CPU only; ERR_LIMIT; ERR_STATE: start failed. start is called in this process too, at the same
 * time. */
err_t pair_open(pair_t *pair, const bench_t *bench, bool (*start)(void *context, unsigned side), void *context);
void  pair_close(pair_t *pair);

/* pair_begin: the other process runs task(context, count). pair_end: it is done with it. */
void pair_begin(pair_t *pair, pair_task_t task, void *context, uint32_t count);
void pair_end(pair_t *pair);

/* pair_window_begin .. pair_window_end around the work; *probe_ns: mean of the two probes. */
void          pair_window_begin(pair_t *pair);
pair_regime_t pair_window_end(pair_t *pair, double *probe_ns);

/* pair_switches: of this process, against its will, so far. */
uint64_t pair_switches(void);
