/* instance: a live instance of our own to measure: `hwal run` as a child, with a journal in a directory that goes
 * with it.
 *
 * Owner    the caller; instance_stop gives all back, also after a failed start. One thread. */
#pragma once

#include <sys/types.h>

#include "core/types/err.h"

#define BENCH_INSTANCE_ARGS 12

typedef struct bench_instance {
    char  name[32];
    char  home[128]; /* its files, below TMPDIR or /tmp; "" = none */
    pid_t child;
} bench_instance_t;

/* bench_instance_home: the name and an empty directory, for files that the instance is to be given.
 * bench_instance_start: with these arguments of `hwal run` (NULL ends them), allowed on every CPU; returns when
 * engine and simulated venue's adapter run, ten seconds at most. ERR_LIMIT, ERR_STATE. bench_instance_stop: stop it,
 * wait, tidy up. */
err_t bench_instance_home(bench_instance_t *instance);
err_t bench_instance_start(bench_instance_t *instance, const char *const args[BENCH_INSTANCE_ARGS]);
err_t bench_instance_stop(bench_instance_t *instance);

/* bench_instance_spin: one with everything on whose engine spins on engine_cpu, with one client "bench" that may ask
 * risk. */
err_t bench_instance_spin(bench_instance_t *instance, int engine_cpu);

void bench_sleep_ms(int64_t ms);
