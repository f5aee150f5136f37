/* bench: the measuring harness behind `hwal bench`: suites, clocks, series, and the two ways of printing.
 *
 * A suite is one file bench_<name>.c with one function that measures and reports; the table in bench.c lists them. Each
 * result is one distribution: text mode prints an aligned table under the machine's description, --json one object a
 * line with exactly these members:
 *
 *     suite name unit n p50 p99 p999 max mean on peer regime bytes checksum
 *
 * Clock    TSC, calibrated against CLOCK_MONOTONIC_RAW at start. bench_begin() .. bench_end() are fenced so that the
 *          work between them is timed and nothing else; an empty pair costs ~20 ns, is measured at start and taken off
 *          each sample by bench_single(). The TSC of some machines steps by ~10 ns: what is shorter is measured in
 *          chunks of many operations (bench_chunk), one sample a chunk, where the pair does not count.
 * Reading  p50 of chunks is the number to compare between runs; p99 and beyond of single samples show the tail. A ratio
 *          of two things timed in interleaved rounds of one run means more than either alone.
 * Checksum of the results of the work, so that neither compiler nor author optimises it away; equal for implementations
 *          that did the same.
 * Threads  one. Memory is taken and given back here; doubles are fine here, prices never see them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"

#define BENCH_ON_MAX 6

#define BENCH_BARS_MAX 64
#define BENCH_NAME_MAX 47

typedef struct bench_bar { /* a figure that was promised, and what came out */
    char        name[BENCH_NAME_MAX + 1];
    double      figure, limit;
    bool        at_least; /* else at most */
    const char *unit;     /* static text */
} bench_bar_t;

typedef struct bench_bars { /* in memory that parts in processes of their own share */
    uint32_t    count;
    bench_bar_t bar[BENCH_BARS_MAX];
} bench_bars_t;

typedef struct bench {     /* what the command line asked for, and the calibrated clock */
    uint64_t      samples; /* operations a round; 0 = the suite's own small default */
    uint64_t      seed;
    int           cpu; /* pinned to */
    bool          json;
    const char   *only;  /* one part of a suite; NULL = all */
    const char   *suite; /* running now */
    double        ns_per_tick;
    uint64_t      pair_ticks; /* of an empty bench_begin .. bench_end */
    bool          daemon;     /* the one that a peer needs is running */
    bench_bars_t *bars;
} bench_t;

typedef struct bench_part { /* of a suite with several questions */
    const char *name;       /* no two of all suites alike */
    const char *help;
    err_t (*run)(bench_t *bench); /* ERR_OK, or a sentence: the command ends with 1 */
    bool daemon;                  /* it compares with a peer that needs one */
} bench_part_t;

typedef struct bench_suite {
    const char *name;
    const char *help;
    err_t (*run)(bench_t *bench); /* as above; NULL: the suite is its parts */
    const bench_part_t *parts;    /* ends with a name of NULL; NULL: it has none */
} bench_suite_t;

typedef struct bench_series { /* samples of one measurement */
    double  *value;
    uint64_t count;
    uint64_t cap;
} bench_series_t;

typedef struct bench_result {
    const char           *name;
    const char           *unit;             /* "ns", "ratio" ... of the samples */
    const char           *regime;           /* S, N, F, X (which two cores), or "single" */
    const char           *on[BENCH_ON_MAX]; /* what was switched on; ends with NULL when shorter */
    const bench_series_t *series;
    uint64_t              n; /* operations measured; 0 = one a sample */
    uint64_t              checksum;
    uint32_t              bytes; /* of one message or payload; 0 = none */
    bool                  peer;  /* what we compare ourselves with */
} bench_result_t;

/* bench_main: `hwal bench`, argv[0] being "bench". Returns the exit code: 0, 1 a suite failed, 2 usage. */
int bench_main(int argc, char **argv);

/* bench_begin, bench_end: ticks, fenced: earlier work is done before begin reads the clock, work between them is done
 * before end does, and later work begins after. */
static inline uint64_t bench_begin(void)
{
    __builtin_ia32_lfence();
    const uint64_t ticks = __builtin_ia32_rdtsc();
    __builtin_ia32_lfence();
    return ticks;
}

static inline uint64_t bench_end(void)
{
    unsigned       cpu;
    const uint64_t ticks = __builtin_ia32_rdtscp(&cpu);
    __builtin_ia32_lfence();
    return ticks;
}

/* bench_add: one sample, in the unit of the series. bench_single: ticks of one operation, less the pair's own cost, as
 * ns. bench_chunk: ticks of ops operations as ns each; returns that. bench_free: give the samples back. */
void   bench_add(bench_series_t *series, double value);
void   bench_single(const bench_t *bench, bench_series_t *series, uint64_t ticks);
double bench_chunk(const bench_t *bench, bench_series_t *series, uint64_t ticks, uint64_t ops);
void   bench_free(bench_series_t *series);

/* bench_percentile: nearest rank, 0..1; sorts the series. 0 when it is empty. */
double bench_percentile(bench_series_t *series, double rank);

/* bench_report: print one result. bench_note: a line of explanation, in text mode only. */
void bench_report(const bench_t *bench, const bench_result_t *result);
void bench_note(const bench_t *bench, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* bench_bar: a figure beside what it should be at most (or at_least): printed together at the end, met or missed.
 * bench_progress: how far a long measurement is, on stderr when that is a terminal; NULL wipes it out. */
void bench_bar(const bench_t *bench, bool at_least, double figure, double limit, const char *unit, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
void bench_progress(const char *what, uint64_t done, uint64_t of);

/* bench_over: has a measurement of default size that began at those ticks taken that long? A machine that others use
 * too would make it much longer than it should be. With --samples it takes what it takes. */
bool bench_over(const bench_t *bench, uint64_t began_ticks, double seconds);

/* bench_random: splitmix64; the workloads of one seed are the same everywhere. */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* bench_parts_run: the parts of a suite one after the other, or the one that --only names. Each runs in a process of its
 * own: what a peer leaves in its process (threads, handlers) or breaks ends with it, and the bars come back in shared
 * memory. ERR_STATE with a sentence when a part failed; the others have run all the same. */
err_t bench_parts_run(bench_t *bench, const bench_part_t *parts);

/* bench_peers_symbol: of hwal-peers.so beside hwal; NULL when there is no such file or symbol. */
void *bench_peers_symbol(const char *name);

/* the suites */
err_t bench_risk(bench_t *bench);
err_t bench_path(bench_t *bench);

/* the parts of ipc, book and engine: `hwal bench --only PART ipc` */
extern const bench_part_t bench_ipc_parts[];
extern const bench_part_t bench_book_parts[];
extern const bench_part_t bench_engine_parts[];

err_t bench_roundtrip(bench_t *bench);
err_t bench_throughput(bench_t *bench);
err_t bench_readers(bench_t *bench);
err_t bench_small(bench_t *bench);
err_t bench_lane(bench_t *bench);
err_t bench_attach(bench_t *bench);
err_t bench_live(bench_t *bench);

err_t bench_l2(bench_t *bench);
err_t bench_l3(bench_t *bench);
err_t bench_replay(bench_t *bench);
err_t bench_match(bench_t *bench);
