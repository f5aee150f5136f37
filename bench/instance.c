#include "bench/instance.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/attach.h"

void bench_sleep_ms(int64_t ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static bool running(const char *name)
{
    static attach_t a;
    if (attach_open(&a, name, getuid()) != ERR_OK) {
        return false;
    }
    const control_page_t *engine = attach_control(&a, ROLE_ENGINE), *sim = attach_control(&a, ROLE_SIM);
    const bool runs = engine && sim && atomic_load(&engine->state) == ROLE_RUN && atomic_load(&sim->state) == ROLE_RUN;
    attach_close(&a);
    return runs;
}

err_t bench_instance_home(bench_instance_t *instance)
{
    const char *tmp = getenv("TMPDIR");
    *instance       = (bench_instance_t){0};
    snprintf(instance->home, sizeof instance->home, "%s/hwal-bench-XXXXXX",
             tmp != NULL && tmp[0] != '\0' && strlen(tmp) < 96 ? tmp : "/tmp");
    snprintf(instance->name, sizeof instance->name, "bench%d", (int)getpid());
    if (!mkdtemp(instance->home)) {
        const err_t err   = err_set(ERR_IO, "bench: no directory %s", instance->home);
        instance->home[0] = '\0';
        return err;
    }
    return ERR_OK;
}

static _Noreturn void become(const bench_instance_t *instance, const char *const args[BENCH_INSTANCE_ARGS])
{
    const char *argv[BENCH_INSTANCE_ARGS + 8] = {"hwal", "run", "--instance", instance->name, "--new", "--quiet"};
    memcpy(&argv[6], args, BENCH_INSTANCE_ARGS * sizeof argv[0]);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* an orderly stop also when the benchmark is killed */
    cpu_set_t all;
    memset(&all, 0xff, sizeof all);
    sched_setaffinity(0, sizeof all, &all);
    setenv("XDG_STATE_HOME", instance->home, 1);
    if (!freopen("/dev/null", "w", stdout)) {
        _exit(1);
    }
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    _exit(127);
}

err_t bench_instance_start(bench_instance_t *instance, const char *const args[BENCH_INSTANCE_ARGS])
{
    instance->child = fork();
    if (instance->child == 0) {
        become(instance, args);
    }
    if (instance->child < 0) {
        return err_set(ERR_LIMIT, "bench: no second process");
    }
    for (int tries = 0; !running(instance->name); tries++) {
        if (tries == 100 || waitpid(instance->child, NULL, WNOHANG) == instance->child) {
            return err_set(ERR_STATE, "bench: the instance %s did not start", instance->name);
        }
        bench_sleep_ms(100);
    }
    return ERR_OK;
}

err_t bench_instance_stop(bench_instance_t *instance)
{
    if (instance->child > 0) {
        kill(instance->child, SIGTERM);
        waitpid(instance->child, NULL, 0);
    }
    char remove[160];
    snprintf(remove, sizeof remove, "rm -rf '%s'", instance->home);
    if (instance->home[0] != '\0' && system(remove) != 0) {
        return err_set(ERR_IO, "bench: %s stays behind", instance->home);
    }
    return ERR_OK;
}

err_t bench_instance_spin(bench_instance_t *instance, int engine_cpu)
{
    char  path[160];
    err_t err = bench_instance_home(instance);
    if (err != ERR_OK) {
        return err;
    }
    snprintf(path, sizeof path, "%s/bench.yaml", instance->home);
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return err_set(ERR_IO, "bench: %s cannot be written", path);
    }
    fprintf(file,
            "run: { wait: spin, engine_cpu: %d }\n"
            "accounts:\n"
            "  - { currency: USDT, initial: \"1000000\" }\n"
            "  - { currency: KRW, initial: \"1000000000\", money_exp: 0 }\n"
            "strategies: [ \"market_maker\" ]\n"
            "market: { seed: 1, rate: 2000, seconds: 600, instruments: 8 }\n"
            "lanes:\n  slots: 1024\n  clients:\n    - { name: bench, rights: [check], on_close: cancel }\n",
            engine_cpu);
    return fclose(file) == 0
               ? bench_instance_start(instance, (const char *const[BENCH_INSTANCE_ARGS]){"--config", path})
               : err_set(ERR_IO, "bench: %s cannot be written", path);
}
