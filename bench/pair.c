#include "bench/pair.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

const char *pair_regime_str(pair_regime_t regime)
{
    static const char *const names[PAIR_REGIMES] = {"S", "N", "F", "X"};
    return names[regime];
}

bool pair_pin(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

int pair_other_cpu(int cpu)
{
    for (int i = 0; i < CPU_SETSIZE; i++) { /* we are pinned already, so asking is trying */
        if (i != cpu && pair_pin(i)) {
            pair_pin(cpu);
            return i;
        }
    }
    return -1;
}

err_t pair_memory(size_t bytes, void **out)
{
    *out = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return *out != MAP_FAILED ? ERR_OK : err_set(ERR_LIMIT, "bench: no %zu bytes of shared memory", bytes);
}

uint64_t pair_switches(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_nivcsw;
}

static _Noreturn void serve(pair_t *pair, bool (*start)(void *, unsigned), void *context)
{
    pair_shared_t *shared = pair->shared;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!pair_pin(pair->other_cpu) || (start != NULL && !start(context, 1))) {
        _exit(1);
    }
    atomic_store_explicit(&shared->done, 1, memory_order_release);
    for (uint32_t task = 2;; task++) {
        while (atomic_load_explicit(&shared->go, memory_order_acquire) != task) {
        }
        shared->task(shared->context, shared->count);
        shared->switches = pair_switches();
        atomic_store_explicit(&shared->done, task, memory_order_release);
    }
}

err_t pair_open(pair_t *pair, const bench_t *bench, bool (*start)(void *, unsigned), void *context)
{
    void *mem = NULL;
    *pair     = (pair_t){.bench = bench, .other_cpu = pair_other_cpu(bench->cpu), .task = 1};
    if (pair->other_cpu < 0) {
        return err_set(ERR_NOT_FOUND, "two CPUs are needed, this process may use one");
    }
    const err_t err = pair_memory(sizeof *pair->shared, &mem);
    if (err != ERR_OK) {
        return err;
    }
    pair->shared = mem;
    fflush(NULL); /* or the other process would say it again when it exits */
    pair->other = fork();
    if (pair->other == 0) {
        serve(pair, start, context);
    }
    if (pair->other < 0) {
        return err_set(ERR_LIMIT, "no second process");
    }
    const bool good = start == NULL || start(context, 0);
    while (atomic_load_explicit(&pair->shared->done, memory_order_acquire) != 1) {
        if (waitpid(pair->other, NULL, WNOHANG) == pair->other) {
            pair->other = -1;
            return err_set(ERR_STATE, "the second process ended at its start");
        }
        sched_yield();
    }
    return good ? ERR_OK : err_set(ERR_STATE, "the first process could not join");
}

static void leave(void *context, uint32_t count)
{
    (void)context;
    exit((int)count); /* not _exit: a peer's runtime says goodbye to its daemon */
}

void pair_close(pair_t *pair)
{
    if (pair->other > 0) {
        pair_begin(pair, leave, NULL, 0);
        bool ended = false;
        for (int tries = 0; !ended && tries < 2000; tries++) {
            usleep(1000);
            ended = waitpid(pair->other, NULL, WNOHANG) == pair->other;
        }
        if (!ended) { /* stuck in a task */
            kill(pair->other, SIGKILL);
            waitpid(pair->other, NULL, 0);
        }
    }
    if (pair->shared != NULL) {
        munmap(pair->shared, sizeof *pair->shared);
    }
    *pair = (pair_t){0};
}

void pair_begin(pair_t *pair, pair_task_t task, void *context, uint32_t count)
{
    pair->shared->task    = task;
    pair->shared->context = context;
    pair->shared->count   = count;
    atomic_store_explicit(&pair->shared->go, ++pair->task, memory_order_release);
}

void pair_end(pair_t *pair)
{
    while (atomic_load_explicit(&pair->shared->done, memory_order_acquire) != pair->task) {
    }
}

/* ---- the probe
 * ---------------------------------------------------------------------------------------------------- */

static void bounce_back(void *context, uint32_t count)
{
    _Atomic uint64_t *word = context;
    for (uint32_t i = 0; i < count; i++) {
        while (atomic_load_explicit(word, memory_order_acquire) != 2ull * i + 1) {
        }
        atomic_store_explicit(word, 2ull * i + 2, memory_order_release);
    }
}

static double probe(pair_t *pair)
{
    _Atomic uint64_t *word = &pair->shared->word;
    atomic_store(word, 0);
    pair_begin(pair, bounce_back, word, PAIR_WINDOW);
    const uint64_t t0 = bench_begin();
    for (uint32_t i = 0; i < PAIR_WINDOW; i++) {
        atomic_store_explicit(word, 2ull * i + 1, memory_order_release);
        while (atomic_load_explicit(word, memory_order_acquire) != 2ull * i + 2) {
        }
    }
    const uint64_t ticks = bench_end() - t0;
    pair_end(pair);
    return (double)ticks * pair->bench->ns_per_tick / PAIR_WINDOW;
}

void pair_window_begin(pair_t *pair)
{
    pair_begin(pair, bounce_back, &pair->shared->word, 0); /* for its count of switches as of now */
    pair_end(pair);
    pair->switches_before = pair_switches() + pair->shared->switches;
    pair->probe_before    = probe(pair);
}

pair_regime_t pair_window_end(pair_t *pair, double *probe_ns)
{
    const double   before = pair->probe_before, after = probe(pair);
    const double   low = before < after ? before : after, high = before < after ? after : before;
    const uint64_t switches = pair_switches() + pair->shared->switches - pair->switches_before;
    *probe_ns               = (before + after) / 2;
    if (switches != 0 || high > 1.5 * low) {
        return PAIR_X;
    }
    return *probe_ns < 80 ? PAIR_S : *probe_ns < 200 ? PAIR_N : PAIR_F;
}
