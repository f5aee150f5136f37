/* What do readers cost the writer of a broadcast ring? One process writes flat out on one CPU, the readers are
 * processes on another one. Pairs of windows, one without and one with the readers at work, in alternating order; a
 * window in which the writer was switched out is measured again, pair and all. Of the 30 ratios (with / without):
 * the median and its 95 % confidence interval by order statistics: for n values in order the k-th from either end, k
 * the largest with 2 P(Binomial(n, 1/2) < k) <= 5 %; no distribution is assumed.
 *
 *   1, 4 readers   poll once a millisecond, 256 messages a time, going on at the newest after a loss; every word
 *                  checked
 *   stopped        one that polled and then got SIGSTOP         killed   one that polled and then got SIGKILL
 *   32 readers     polling; then each reads to the end, and what it received and lost must be what was written,
 *                  exactly
 *   spinning       one that polls without a pause
 *
 * The upper end of the interval: at most 1.05 for polling, stopped and killed readers. The others' cost is printed. */
#include <linux/futex.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/instance.h"
#include "bench/pair.h"
#include "ipc/ring_broadcast.h"

#define SLOTS 4096u
#define STRIDE 64u
#define WORDS 5u /* 40 bytes: one line */
#define READERS_MAX 32u
#define POLL_MESSAGES 256u
#define PAIRS 30u

typedef enum readers_mode { IDLE = 0, POLL, SPIN, FINISH } readers_mode_t;

typedef struct reader_line { /* written by its reader */
    _Alignas(128) _Atomic uint64_t received;
    _Atomic uint64_t lost;
    _Atomic uint64_t wrong;
    _Atomic uint32_t finished;
} reader_line_t;

typedef struct ground {
    const bench_t *bench;
    int            readers_cpu;
    struct ground_shared {
        _Alignas(128) _Atomic uint32_t mode; /* readers_mode_t; a futex */
        reader_line_t reader[READERS_MAX];
    } * shared;
    pid_t         pid[READERS_MAX]; /* of the readers; 0 = none */
    void         *ring;
    size_t        ring_bytes;
    ring_writer_t writer;
    uint64_t      messages; /* of a window */
} ground_t;

/* ---- a reader
 * ------------------------------------------------------------------------------------------------------ */

static void poll_once(ring_reader_t *reader, reader_line_t *line, uint64_t max)
{
    uint64_t    copy[WORDS], received = 0, wrong = 0;
    ring_meta_t meta;
    err_t       err = ERR_OK;
    for (uint64_t i = 0; i < max && err != ERR_EMPTY; i++) {
        err = ring_read(reader, copy, sizeof copy, &meta);
        wrong += err == ERR_PARSE || err == ERR_FULL;
        if (err == ERR_OK) {
            received++;
            for (uint64_t w = 0; w < WORDS; w++) {
                wrong += copy[w] != (reader->next - 1) * 0x9e3779b97f4a7c15u + w;
            }
        }
    }
    atomic_fetch_add_explicit(&line->received, received, memory_order_relaxed);
    atomic_fetch_add_explicit(&line->wrong, wrong, memory_order_relaxed);
    atomic_store_explicit(&line->lost, reader->lost, memory_order_relaxed);
}

static _Noreturn void be_reader(const ground_t *g, reader_line_t *line)
{
    ring_reader_t reader;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pair_pin(g->readers_cpu);
    if (ring_reader_join(&reader, g->ring, g->ring_bytes, RING_NEWEST) != ERR_OK) {
        _exit(1);
    }
    reader.after_loss    = RING_NEWEST;
    const uint64_t first = reader.next;
    for (;;) {
        const uint32_t mode = atomic_load(&g->shared->mode);
        if (mode == IDLE) {
            syscall(SYS_futex, &g->shared->mode, FUTEX_WAIT, IDLE, NULL, NULL, 0);
        } else if (mode == FINISH) {
            poll_once(&reader, line, UINT64_MAX);
            const uint64_t seen = atomic_load(&line->received) + reader.lost;
            line->finished      = seen == reader.next - first && reader.next - 1 == ring_tail(reader.ring);
            _exit(0);
        } else {
            poll_once(&reader, line, POLL_MESSAGES);
            if (mode == POLL) {
                bench_sleep_ms(1);
            }
        }
    }
}

static err_t readers_start(ground_t *g, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        reader_line_t *line = &g->shared->reader[i];
        *line               = (reader_line_t){0};
        const pid_t pid     = fork();
        if (pid == 0) {
            be_reader(g, line);
        }
        g->pid[i] = pid > 0 ? pid : 0;
        if (pid < 0) {
            return err_set(ERR_LIMIT, "readers: no process for reader %u", i);
        }
    }
    return ERR_OK;
}

static void readers_mode(ground_t *g, readers_mode_t mode)
{
    atomic_store(&g->shared->mode, (uint32_t)mode);
    syscall(SYS_futex, &g->shared->mode, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    bench_sleep_ms(3); /* all of them are at it, or asleep */
}

static void readers_end(ground_t *g, uint32_t count, int signal)
{
    for (uint32_t i = 0; i < count; i++) {
        if (g->pid[i] > 0) {
            kill(g->pid[i], signal);
            waitpid(g->pid[i], NULL, 0);
            g->pid[i] = 0;
        }
    }
}

/* ---- the writer
 * ---------------------------------------------------------------------------------------------------- */

static void write_some(ground_t *g, uint64_t messages)
{
    const ring_meta_t meta = {.len = WORDS * 8, .type = 1};
    for (uint64_t i = 0; i < messages; i++) {
        uint64_t *words = ring_reserve(&g->writer);
        for (uint64_t w = 0; w < WORDS; w++) {
            words[w] = g->writer.next * 0x9e3779b97f4a7c15u + w;
        }
        ring_commit(&g->writer, &meta);
    }
}

/* ns a message; 0 = it was switched out meanwhile. */
static double write_window(ground_t *g)
{
    const uint64_t before = pair_switches();
    const uint64_t t0     = bench_begin();
    write_some(g, g->messages);
    const uint64_t ticks = bench_end() - t0;
    return pair_switches() == before ? (double)ticks * g->bench->ns_per_tick / (double)g->messages : 0;
}

/* ---- pairs
 * --------------------------------------------------------------------------------------------------------- */

typedef struct scene {
    const char    *name;
    uint32_t       readers;
    readers_mode_t mode;
    int            signal; /* that the readers get when they have polled: SIGSTOP, SIGKILL; 0 = none */
    bool           judged;
} scene_t;

static err_t arrange(ground_t *g, const scene_t *scene, bool with)
{
    err_t err = ERR_OK;
    if (with && scene->signal == SIGKILL) {
        err = readers_start(g, scene->readers);
    }
    readers_mode(g, with ? scene->mode : IDLE);
    if (with && scene->signal == SIGKILL) {
        readers_end(g, scene->readers, SIGKILL);
    } else if (with && scene->signal == SIGSTOP) {
        kill(g->pid[0], SIGSTOP);
    }
    return err;
}

static err_t rearrange(ground_t *g, const scene_t *scene)
{
    if (scene->signal == SIGSTOP) {
        kill(g->pid[0], SIGCONT);
    }
    readers_mode(g, IDLE);
    return ERR_OK;
}

static err_t one_pair(ground_t *g, const scene_t *scene, bool with_first, double ns[2])
{
    err_t err = ERR_OK;
    for (int i = 0; !err && i < 2; i++) {
        const bool with = (i == 0) == with_first;
        err             = arrange(g, scene, with);
        ns[with]        = err ? 0 : write_window(g);
        err             = err ? err : rearrange(g, scene);
    }
    return err;
}

/* Rank, from either end, of the ends of the 95 % confidence interval of the median of n. */
static uint32_t interval_rank(uint32_t n)
{
    double   term = pow(0.5, n), below = 0;
    uint32_t k = 0;
    while (k < n / 2 && 2 * (below + term) <= 0.05) {
        below += term;
        term = term * (n - k) / (k + 1);
        k++;
    }
    return k > 0 ? k : 1;
}

static void report(const ground_t *g, const scene_t *scene, bench_series_t ns[2], bench_series_t *ratio,
                   uint32_t dropped)
{
    static const char *const without = "without readers";
    for (int with = 0; with < 2; with++) {
        char name[BENCH_NAME_MAX + 1];
        snprintf(name, sizeof name, "write, %s", with ? scene->name : without);
        bench_report(g->bench, &(bench_result_t){.name   = name,
                                                 .unit   = "ns",
                                                 .regime = "pairs",
                                                 .series = &ns[with],
                                                 .n      = ns[with].count * g->messages,
                                                 .bytes  = WORDS * 8});
    }
    char name[BENCH_NAME_MAX + 1];
    snprintf(name, sizeof name, "%s / without", scene->name);
    bench_report(g->bench, &(bench_result_t){.name = name, .unit = "ratio", .regime = "pairs", .series = ratio});

    const double   median = bench_percentile(ratio, 0.5); /* sorts */
    const uint32_t k      = interval_rank((uint32_t)ratio->count);
    const double   low = ratio->value[k - 1], high = ratio->value[ratio->count - k];
    uint64_t       received = 0, lost = 0;
    for (uint32_t i = 0; i < scene->readers; i++) {
        received += atomic_load(&g->shared->reader[i].received);
        lost += atomic_load(&g->shared->reader[i].lost);
    }
    bench_note(g->bench,
               "%s: median ratio %.3f, 95 %% confidence %.3f .. %.3f, %llu pairs, %u dropped; readers received %llu, "
               "lost %llu",
               scene->name, median, low, high, (unsigned long long)ratio->count, dropped, (unsigned long long)received,
               (unsigned long long)lost);
    if (scene->judged) {
        bench_bar(g->bench, false, high, 1.05, "ratio", "%s: upper end of the interval", scene->name);
    }
}

/* Each reader reads to the end, and must have seen or missed exactly what was written since it joined. */
static err_t check_exact(ground_t *g, const scene_t *scene)
{
    uint32_t exact = 0;
    uint64_t wrong = 0;
    readers_mode(g, FINISH);
    for (uint32_t i = 0; i < scene->readers; i++) {
        reader_line_t *line = &g->shared->reader[i];
        waitpid(g->pid[i], NULL, 0);
        g->pid[i] = 0;
        exact += line->finished;
        wrong += atomic_load(&line->wrong);
    }
    bench_note(g->bench, "%s: received + lost = written for %u of %u readers", scene->name, exact, scene->readers);
    return exact == scene->readers && wrong == 0
               ? ERR_OK
               : err_set(ERR_STATE, "readers: %s: %u of %u counted exactly, %llu messages were not what was written",
                         scene->name, exact, scene->readers, (unsigned long long)wrong);
}

static err_t play(ground_t *g, const scene_t *scene, uint32_t pairs)
{
    bench_series_t ns[2] = {{0}, {0}}, ratio = {0};
    uint32_t       dropped = 0;
    const uint64_t began   = bench_begin();
    const bool     stay    = scene->signal != SIGKILL;
    err_t          err     = stay ? readers_start(g, scene->readers) : ERR_OK;
    for (uint32_t i = 0; !err && ratio.count < pairs && dropped < 4 * pairs && !bench_over(g->bench, began, 5); i++) {
        double one[2];
        bench_progress(scene->name, ratio.count, pairs);
        err = one_pair(g, scene, i % 2, one);
        if (one[0] > 0 && one[1] > 0) {
            bench_add(&ns[0], one[0]);
            bench_add(&ns[1], one[1]);
            bench_add(&ratio, one[1] / one[0]);
        } else {
            dropped++;
        }
    }
    bench_progress(NULL, 0, 0);
    err = err || !stay ? err : check_exact(g, scene);
    readers_end(g, scene->readers, SIGKILL);
    if (!err && ratio.count != 0) {
        report(g, scene, ns, &ratio, dropped);
    } else if (!err) {
        bench_note(g->bench, "%s: every window was disturbed: %u pairs dropped", scene->name, dropped);
        if (scene->judged) {
            bench_bar(g->bench, false, NAN, 1.05, "ratio", "%s: upper end of the interval", scene->name);
        }
    }
    bench_free(&ns[0]);
    bench_free(&ns[1]);
    bench_free(&ratio);
    return err;
}

err_t bench_readers(bench_t *bench)
{
    static const scene_t scenes[] = {{"1 reader", 1, POLL, 0, true},        {"4 readers", 4, POLL, 0, true},
                                     {"1 stopped", 1, POLL, SIGSTOP, true}, {"1 killed", 1, POLL, SIGKILL, true},
                                     {"32 readers", 32, POLL, 0, false},    {"1 spinning", 1, SPIN, 0, false}};
    ground_t             g        = {.bench       = bench,
                                     .readers_cpu = pair_other_cpu(bench->cpu),
                                     .ring_bytes  = ring_broadcast_footprint(SLOTS, STRIDE),
                                     .messages    = bench->samples && bench->samples < 100000 ? 100000 : 1000000};
    void                *shared   = NULL;
    const uint32_t       pairs    = bench->samples && bench->samples < 100000 ? 5 : PAIRS;
    if (g.readers_cpu < 0) {
        return err_set(ERR_NOT_FOUND, "two CPUs are needed, this process may use one");
    }
    err_t err = pair_memory(sizeof *g.shared, &shared);
    err       = err ? err : pair_memory(g.ring_bytes, &g.ring);
    if (err != ERR_OK) {
        return err;
    }
    g.shared = shared;
    ring_broadcast_new(g.ring, SLOTS, STRIDE);
    err = ring_writer_join(&g.writer, g.ring, g.ring_bytes);
    if (!err) {
        write_some(&g, g.messages);
    }
    for (size_t i = 0; !err && i < sizeof scenes / sizeof scenes[0]; i++) {
        err = play(&g, &scenes[i], pairs);
    }
    bench_note(
        bench,
        "structural reason: the writer stores to its slots and its tail and loads nothing that a reader writes; what "
        "is left is that a line which was just read has to be fetched back before it is written again");
    munmap(g.ring, g.ring_bytes);
    munmap(shared, sizeof *g.shared);
    return err;
}
