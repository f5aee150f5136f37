/* From one process to another through our rings: a message there and its answer back, every word of the payload written
 * and checked, both sides pinned to a CPU of their own and spinning. Beside it in the same windows: one cache line
 * bounced between the two (what the hardware allows), and a futex wake there and back (what a sleeper costs).
 *
 * A window is 1,000 round trips between two probes of 1,000 bounces; its regime is what the probe says of the distance
 * of the two CPUs at that moment (a hypervisor moves them): S below 80 ns a bounce, N below 200, F above; X when the two
 * probes disagree by more than half, and X windows are not counted. The unit is half a round trip: one hop. The ratio is
 * a window's mean round trip over its probe: the figure to compare between machines. */
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "ipc/ring_broadcast.h"
#include "ipc/ring_lossless.h"

#define WINDOW 1000u
#define SLOTS 1024u
#define STRIDE 320u
#define PAYLOAD_MAX 256u

typedef enum mode { MODE_NONE = 0, MODE_BOUNCE, MODE_FUTEX, MODE_BROADCAST, MODE_LOSSLESS, MODE_END } hop_mode_t;

typedef struct shared {
    alignas(128) _Atomic uint64_t word; /* bounced */
    alignas(128) _Atomic uint32_t sleep_a;
    alignas(128) _Atomic uint32_t sleep_b;
    alignas(128) _Atomic uint32_t go; /* rises with each task */
    _Atomic uint32_t mode;
    _Atomic uint32_t count;
    _Atomic uint32_t bytes;
    alignas(128) _Atomic uint32_t done;
    alignas(128) _Atomic uint64_t wrong; /* payload words that were not what was sent */
    ring_cursor_t cursor_there, cursor_back;
} shared_t;

typedef struct side { /* of one process */
    ring_writer_t     to;
    ring_reader_t     from;
    lossless_writer_t to_lossless;
    lossless_reader_t from_lossless;
    uint64_t          wrong;
    uint64_t          seed; /* of the next message's words */
} side_t;

typedef struct pair {
    shared_t *shared;
    uint8_t  *rings[4];
    size_t    broadcast_bytes, lossless_bytes;
    pid_t     child;
} pair_t;

static bool pin_to(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

/* A CPU that we may use beside ours; we are pinned already, so asking is trying. */
static int other_cpu(int cpu)
{
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (i != cpu && pin_to(i)) {
            pin_to(cpu);
            return i;
        }
    }
    return -1;
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}
static void futex_await(_Atomic uint32_t *word, uint32_t want)
{
    for (uint32_t now; (now = atomic_load_explicit(word, memory_order_acquire)) != want;) {
        syscall(SYS_futex, word, FUTEX_WAIT, now, NULL, NULL, 0);
    }
}

/* ---- one message: words of a seeded row, so that a torn or old one shows ------------------------------------------ */
static void fill(side_t *s, void *payload, uint32_t bytes)
{
    uint64_t *words = payload;
    s->seed++;
    for (uint32_t i = 0; i < bytes / 8; i++) {
        words[i] = s->seed * 0x9e3779b97f4a7c15u + i;
    }
}

static void verify(side_t *s, const void *payload, uint32_t bytes, uint64_t seed)
{
    const uint64_t *words = payload;
    for (uint32_t i = 0; i < bytes / 8; i++) {
        s->wrong += words[i] != seed * 0x9e3779b97f4a7c15u + i;
    }
}

static void send_one(side_t *s, hop_mode_t mode, uint32_t bytes)
{
    const ring_meta_t meta = {.len = bytes, .type = 1};
    if (mode == MODE_BROADCAST) {
        fill(s, ring_reserve(&s->to), bytes);
        ring_commit(&s->to, &meta);
        return;
    }
    while (lossless_room(&s->to_lossless, 1) == 0) {
        __builtin_ia32_pause();
    }
    fill(s, lossless_slot(&s->to_lossless, 0), bytes);
    lossless_meta(&s->to_lossless, 0, &meta);
    lossless_commit(&s->to_lossless, 1);
}

static void receive_one(side_t *s, hop_mode_t mode, uint64_t seed)
{
    ring_meta_t meta;
    if (mode == MODE_BROADCAST) {
        alignas(8) uint8_t copy[PAYLOAD_MAX];
        while (ring_read(&s->from, copy, sizeof copy, &meta) == ERR_EMPTY) {
        }
        verify(s, copy, meta.len, seed);
        return;
    }
    const void *payload;
    while (lossless_peek(&s->from_lossless, &meta, &payload) == ERR_EMPTY) {
    }
    verify(s, payload, meta.len, seed);
    lossless_take(&s->from_lossless);
}

static err_t join(side_t *s, pair_t *p, int to, int from)
{
    shared_t *sh = p->shared;
    *s           = (side_t){0};
    err_t err    = ring_writer_join(&s->to, p->rings[to], p->broadcast_bytes);
    err          = err ? err : ring_reader_join(&s->from, p->rings[from], p->broadcast_bytes, RING_OLDEST);
    err          = err ? err : lossless_writer_join(&s->to_lossless, p->rings[2 + to], p->lossless_bytes);
    if (!err) {
        lossless_writer_cursor(&s->to_lossless, to == 0 ? &sh->cursor_there : &sh->cursor_back);
        err = lossless_reader_join(&s->from_lossless, p->rings[2 + from], p->lossless_bytes,
                                   from == 0 ? &sh->cursor_there : &sh->cursor_back, 0);
    }
    return err;
}

static _Noreturn void answer(pair_t *p, int cpu)
{
    shared_t *sh = p->shared;
    side_t    s;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin_to(cpu);
    if (join(&s, p, 1, 0)) {
        _exit(1);
    }
    for (uint32_t task = 1;; task++) {
        while (atomic_load_explicit(&sh->go, memory_order_acquire) != task) {
        }
        const hop_mode_t mode  = (hop_mode_t)atomic_load(&sh->mode);
        const uint32_t   count = atomic_load(&sh->count), bytes = atomic_load(&sh->bytes);
        if (mode == MODE_END) {
            _exit(0);
        }
        for (uint32_t i = 0; i < count; i++) {
            if (mode == MODE_BOUNCE) {
                while (atomic_load_explicit(&sh->word, memory_order_acquire) != 2ull * i + 1) {
                }
                atomic_store_explicit(&sh->word, 2ull * i + 2, memory_order_release);
            } else if (mode == MODE_FUTEX) {
                futex_await(&sh->sleep_a, i + 1);
                atomic_store_explicit(&sh->sleep_b, i + 1, memory_order_release);
                futex_wake(&sh->sleep_b);
            } else {
                receive_one(&s, mode, s.seed + 1); /* both sides count alike */
                send_one(&s, mode, bytes);
            }
        }
        atomic_store(&sh->wrong, s.wrong);
        atomic_store_explicit(&sh->done, task, memory_order_release);
    }
}

static void task(shared_t *sh, uint32_t *number, hop_mode_t mode, uint32_t count, uint32_t bytes)
{
    atomic_store(&sh->word, 0);
    atomic_store(&sh->sleep_a, 0);
    atomic_store(&sh->sleep_b, 0);
    atomic_store(&sh->mode, (uint32_t)mode);
    atomic_store(&sh->count, count);
    atomic_store(&sh->bytes, bytes);
    atomic_store_explicit(&sh->go, ++*number, memory_order_release);
}

static void finish(shared_t *sh, uint32_t number)
{
    while (atomic_load_explicit(&sh->done, memory_order_acquire) != number) {
    }
}

static double bounce_ns(const bench_t *bench, shared_t *sh, uint32_t *number)
{
    task(sh, number, MODE_BOUNCE, WINDOW, 0);
    const uint64_t t0 = bench_begin();
    for (uint32_t i = 0; i < WINDOW; i++) {
        atomic_store_explicit(&sh->word, 2ull * i + 1, memory_order_release);
        while (atomic_load_explicit(&sh->word, memory_order_acquire) != 2ull * i + 2) {
        }
    }
    const uint64_t ticks = bench_end() - t0;
    finish(sh, *number);
    return (double)ticks * bench->ns_per_tick / WINDOW;
}

typedef struct row { /* by regime S, N, F */
    bench_series_t hop[3], ratio[3];
} row_t;

static int regime_of(double before, double after)
{
    const double high = before > after ? before : after, low = before > after ? after : before;
    return high > 1.5 * low ? -1 : high < 80 ? 0 : high < 200 ? 1 : 2;
}

static void window(const bench_t *bench, pair_t *p, side_t *s, uint32_t *number, hop_mode_t mode, uint32_t bytes,
                   row_t *row)
{
    static uint64_t ticks[WINDOW];
    const double    before = bounce_ns(bench, p->shared, number);
    task(p->shared, number, mode, WINDOW, bytes);
    const uint64_t t0 = bench_begin();
    for (uint32_t i = 0; i < WINDOW; i++) {
        const uint64_t t      = bench_begin();
        const uint64_t expect = s->seed + 1;
        send_one(s, mode, bytes);
        receive_one(s, mode, expect);
        ticks[i] = bench_end() - t;
    }
    const uint64_t all = bench_end() - t0;
    finish(p->shared, *number);
    const double after  = bounce_ns(bench, p->shared, number);
    const int    regime = regime_of(before, after);
    if (regime < 0) {
        return;
    }
    for (uint32_t i = 0; i < WINDOW; i++) {
        const uint64_t net = ticks[i] > bench->pair_ticks ? ticks[i] - bench->pair_ticks : 0;
        bench_add(&row->hop[regime], (double)net * bench->ns_per_tick / 2);
    }
    const double mean = (double)(all - WINDOW * bench->pair_ticks) * bench->ns_per_tick / WINDOW;
    bench_add(&row->ratio[regime], mean / ((before + after) / 2));
}

static void futex_window(const bench_t *bench, shared_t *sh, uint32_t *number, bench_series_t *out)
{
    task(sh, number, MODE_FUTEX, WINDOW / 4, 0);
    for (uint32_t i = 0; i < WINDOW / 4; i++) {
        const uint64_t t = bench_begin();
        atomic_store_explicit(&sh->sleep_a, i + 1, memory_order_release);
        futex_wake(&sh->sleep_a);
        futex_await(&sh->sleep_b, i + 1);
        bench_single(bench, out, bench_end() - t);
    }
    finish(sh, *number);
}

static err_t measure(bench_t *bench, pair_t *p)
{
    static const struct {
        const char *name;
        hop_mode_t  mode;
        uint32_t    bytes;
    } kinds[] = {{"broadcast hop", MODE_BROADCAST, 40},
                 {"lossless hop", MODE_LOSSLESS, 40},
                 {"broadcast hop", MODE_BROADCAST, 256},
                 {"lossless hop", MODE_LOSSLESS, 256}};
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    static const char *const regimes[] = {"S", "N", "F"};
    static row_t             rows[KINDS];
    bench_series_t           line = {0}, wake = {0};
    side_t                   s;
    uint32_t                 number  = 0;
    const uint64_t           windows = bench->samples ? bench->samples / WINDOW + 1 : 40;
    const err_t              err     = join(&s, p, 0, 1);
    if (err) {
        return err;
    }
    for (uint64_t w = 0; w < windows; w++) {
        for (int k = 0; k < KINDS; k++) {
            window(bench, p, &s, &number, kinds[k].mode, kinds[k].bytes, &rows[k]);
        }
        bench_add(&line, bounce_ns(bench, p->shared, &number));
        if (w % 8 == 0) {
            futex_window(bench, p->shared, &number, &wake);
        }
    }
    task(p->shared, &number, MODE_END, 0, 0);
    const uint64_t wrong = s.wrong + atomic_load(&p->shared->wrong);
    if (wrong) {
        return err_set(ERR_STATE, "ipc: %llu words arrived that were not sent", (unsigned long long)wrong);
    }
    bench_report(bench, &(bench_result_t){.name   = "line bounce",
                                          .unit   = "ns",
                                          .regime = "all",
                                          .series = &line,
                                          .n      = line.count * WINDOW,
                                          .bytes  = 8,
                                          .peer   = true});
    bench_report(
        bench,
        &(bench_result_t){
            .name = "futex there and back", .unit = "ns", .regime = "all", .series = &wake, .bytes = 4, .peer = true});
    for (int k = 0; k < KINDS; k++) {
        for (int r = 0; r < 3; r++) {
            if (rows[k].hop[r].count) {
                bench_report(bench, &(bench_result_t){.name   = kinds[k].name,
                                                      .unit   = "ns",
                                                      .regime = regimes[r],
                                                      .on     = {"every word checked"},
                                                      .series = &rows[k].hop[r],
                                                      .bytes  = kinds[k].bytes});
                bench_report(bench, &(bench_result_t){.name   = "round trip / line",
                                                      .unit   = "ratio",
                                                      .regime = regimes[r],
                                                      .series = &rows[k].ratio[r],
                                                      .n      = rows[k].hop[r].count,
                                                      .bytes  = kinds[k].bytes});
            }
            bench_free(&rows[k].hop[r]);
            bench_free(&rows[k].ratio[r]);
        }
    }
    bench_free(&line);
    bench_free(&wake);
    return ERR_OK;
}

err_t bench_ipc(bench_t *bench)
{
    pair_t    p     = {.broadcast_bytes = ring_broadcast_footprint(SLOTS, STRIDE),
                       .lossless_bytes  = ring_lossless_footprint(SLOTS, STRIDE)};
    const int other = other_cpu(bench->cpu);
    if (other < 0) {
        bench_note(bench, "ipc: two CPUs are needed, this process may use one");
        return ERR_OK;
    }
    const size_t part  = (p.broadcast_bytes + p.lossless_bytes + 4096) & ~(size_t)4095;
    const size_t bytes = 4096 + 4 * part;
    uint8_t     *mem   = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (mem == MAP_FAILED) {
        return err_set(ERR_LIMIT, "ipc: no %zu bytes of shared memory", bytes);
    }
    p.shared = (shared_t *)(void *)mem;
    for (int i = 0; i < 4; i++) {
        p.rings[i] = mem + 4096 + (size_t)i * part;
        if (!(i < 2 ? ring_broadcast_new(p.rings[i], SLOTS, STRIDE) : ring_lossless_new(p.rings[i], SLOTS, STRIDE))) {
            return ERR_ARG;
        }
    }
    p.child = fork();
    if (p.child == 0) {
        answer(&p, other);
    }
    err_t err = p.child > 0 ? measure(bench, &p) : err_set(ERR_LIMIT, "ipc: no second process");
    if (p.child > 0) {
        kill(p.child, SIGKILL);
        waitpid(p.child, NULL, 0);
    }
    munmap(mem, bytes);
    return err ? err : bench_live(bench);
}
