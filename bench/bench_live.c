/* A whole live instance, measured from what its roles keep in shared memory: `hwal run` with the simulated venue,
 * the journal and every risk check: the generated market at the demonstration's pace, a recorded one as it was (its
 * line read, parsed and passed on by the capture adapter), and a nearly idle one, where each signal has to wake the
 * engine and then the adapter. Beside it in the same minute: a futex there and back, two hops, as a blocking wake
 * costs on this machine at this moment.
 *
 *   event   one input in the engine: journaled, applied, published
 *   decide  one that sent a request, until it was in ord
 *   taken   from the receipt of the market data that gave the signal until the venue's adapter took the order
 *
 * All processes are adaptive and unpinned, as they come. Samples are the midpoints of the histograms' counters
 * (three digits). A machine with fewer cores than busy roles shows its scheduler too. */
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/instance.h"
#include "ipc/attach.h"
#include "ipc/histogram.h"

typedef struct pace {
    const char *name; /* of its rows */
    const char *rate; /* messages a second of the generated market */
    const char *file; /* or a capture, as recorded; NULL = none */
    int         seconds;
} pace_t;

static err_t copy_of(const attach_t *a, role_t role, const char *name, bench_series_t *out)
{
    static histogram_copy_t copy;
    const histogram_t      *h     = NULL;
    size_t                  bytes = 0;
    const void             *mem   = segment_find(&a->role[role], name, SEGMENT_HISTOGRAM, &bytes);
    const err_t             err   = histogram_join(mem, bytes, &h);
    if (err != ERR_OK) {
        return err_wrap(err, "live: %s.%s", topology_role_name(role), name);
    }
    histogram_copy(h, &copy);
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        const double low = (double)histogram_lowest(i), high = (double)histogram_highest(i);
        const double value = i + 1 == HISTOGRAM_COUNTERS ? (double)copy.max : (low + high) / 2;
        for (uint64_t n = 0; n < copy.counter[i]; n++) {
            bench_add(out, value);
        }
    }
    return ERR_OK;
}

static err_t rows(const bench_t *bench, const attach_t *a, const pace_t *pace, double *taken_p50)
{
    static const struct {
        role_t      role;
        const char *histogram;
    } kinds[] = {{ROLE_ENGINE, "event"}, {ROLE_ENGINE, "decide"}, {ROLE_SIM, "taken"}};
    err_t err = ERR_OK;
    for (size_t i = 0; !err && i < sizeof kinds / sizeof kinds[0]; i++) {
        bench_series_t series = {0};
        char           name[32];
        snprintf(name, sizeof name, "%s, %s", kinds[i].histogram, pace->name);
        err = copy_of(a, kinds[i].role, kinds[i].histogram, &series);
        if (!err) {
            bench_report(bench, &(bench_result_t){.name   = name,
                                                  .unit   = "ns",
                                                  .regime = "unpinned",
                                                  .on     = {"risk", "journal", "publication", "adaptive waits"},
                                                  .series = &series});
            *taken_p50 = bench_percentile(&series, 0.5);
        }
        bench_free(&series);
    }
    return err;
}

static err_t instance(const bench_t *bench, const pace_t *pace, double *taken_p50)
{
    static attach_t  a;
    bench_instance_t instance;
    char             seconds[8];
    snprintf(seconds, sizeof seconds, "%d", pace->seconds + 30);
    err_t err = bench_instance_home(&instance);
    err       = err ? err
                    : bench_instance_start(&instance, (const char *const[BENCH_INSTANCE_ARGS]){
                                                          "--seconds", seconds, pace->file ? "--capture" : "--rate",
                                                    pace->file ? pace->file : pace->rate});
    if (!err) {
        bench_sleep_ms(pace->seconds * 1000ll);
        err = attach_open(&a, instance.name, getuid());
        if (!err) {
            err = rows(bench, &a, pace, taken_p50);
            attach_close(&a);
        }
    }
    const err_t stopped = bench_instance_stop(&instance);
    return err ? err : stopped;
}

/* Two processes that sleep on a futex each, a few milliseconds apart: there and back. apart: on two CPUs; else wherever
 * the scheduler likes them, which is one. */
static void wake(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store(word, value);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void await(_Atomic uint32_t *word, uint32_t value)
{
    for (uint32_t now; (now = atomic_load(word)) != value;) {
        syscall(SYS_futex, word, FUTEX_WAIT, now, NULL, NULL, 0);
    }
}

static void move(int from, bool away)
{
    cpu_set_t set;
    memset(&set, 0xff, sizeof set);
    if (away) {
        CPU_CLR((size_t)from, &set);
    }
    sched_setaffinity(0, sizeof set, &set);
}

static err_t two_hops(const bench_t *bench, bool apart, bench_series_t *out)
{
    void             *page  = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    _Atomic uint32_t *words = page;
    const uint32_t    count = bench->samples && bench->samples < 1000 ? (uint32_t)bench->samples : 1000;
    if (page == MAP_FAILED) {
        return err_set(ERR_LIMIT, "live: no page to share");
    }
    cpu_set_t pinned;
    sched_getaffinity(0, sizeof pinned, &pinned);
    if (!apart) {
        move(bench->cpu, false);
    }
    const pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (apart) {
            move(bench->cpu, true);
        }
        for (uint32_t i = 1; i <= count; i++) {
            await(&words[0], i);
            wake(&words[32], i);
        }
        _exit(0);
    }
    for (uint32_t i = 1; child > 0 && i <= count; i++) {
        bench_sleep_ms(3);
        const uint64_t t0 = bench_begin();
        wake(&words[0], i);
        await(&words[32], i);
        bench_single(bench, out, bench_end() - t0);
    }
    if (child > 0) {
        waitpid(child, NULL, 0);
    }
    sched_setaffinity(0, sizeof pinned, &pinned);
    munmap(page, 4096);
    return child > 0 ? ERR_OK : err_set(ERR_LIMIT, "live: no second process");
}

err_t bench_live(bench_t *bench)
{
    const int      seconds = bench->samples && bench->samples < 100000 ? 2 : 5;
    const pace_t   paces[] = {{.name = "20000/s", .rate = "20000", .seconds = seconds},
                              {.name = "200/s", .rate = "200", .seconds = seconds * 3}};
    bench_series_t hops[2] = {{0}, {0}};
    double         taken = 0, other = 0;
    err_t          err    = instance(bench, &paces[0], &other);
    const char    *shared = getenv("HWAL_SHARED");
    char           file[512];
    snprintf(file, sizeof file, "%s/data/binance/usdm_btcusdt_20240808.gz", shared ? shared : "../shared");
    if (!err && access(file, R_OK) == 0) {
        err = instance(bench, &(pace_t){.name = "capture", .file = file, .seconds = seconds * 3}, &other);
    } else if (!err) {
        bench_note(bench, "SKIP capture: no %s", file);
    }
    for (int apart = 0; !err && apart < 2; apart++) {
        err = two_hops(bench, apart, &hops[apart]);
        if (!err) {
            bench_report(bench, &(bench_result_t){.name   = apart ? "two futex hops, apart" : "two futex hops",
                                                  .unit   = "ns",
                                                  .regime = apart ? "two CPUs" : "unpinned",
                                                  .series = &hops[apart],
                                                  .peer   = true});
        }
    }
    err = err ? err : instance(bench, &paces[1], &taken);
    if (!err) {
        const double near = bench_percentile(&hops[0], 0.5), far = bench_percentile(&hops[1], 0.5);
        bench_note(
            bench,
            "idle to order: p50 %.1f us; two hops of a futex from CPU to CPU %.1f us: %.2fx; wherever the scheduler "
            "puts them %.1f us: %.2fx",
            taken / 1e3, far / 1e3, far > 0 ? taken / far : 0, near / 1e3, near > 0 ? taken / near : 0);
    }
    bench_free(&hops[0]);
    bench_free(&hops[1]);
    return err;
}
