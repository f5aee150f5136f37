#include "bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "core/types/decimal.h"
#include "ipc/version.h"

static const bench_suite_t suites[] = {
    {"book", "books and matching: price levels, single orders, the matching core, replay of a recording", NULL,
     bench_book_parts},
    {"risk", "risk gate: the whole chain of checks with reservation", bench_risk, NULL},
    {"ipc", "shared memory: rings between processes beside their peers, readers, lanes, attaching, a live instance",
     NULL, bench_ipc_parts},
    {"engine", "the whole engine: book update to order, closed loop, 10,000 instruments, a million open orders", NULL,
     bench_engine_parts},
    {"path", "captured line to order in the caller's buffer, everything on", bench_path, NULL},
};

#define SUITE_COUNT (sizeof suites / sizeof suites[0])

/* ---- series ------------------------------------------------------------------------------------------------------ */

void bench_add(bench_series_t *series, double value)
{
    if (series->count == series->cap) {
        const uint64_t cap   = series->cap == 0 ? 1024 : series->cap * 2;
        double        *grown = realloc(series->value, cap * sizeof *grown);
        if (grown == NULL) {
            fprintf(stderr, "bench: no memory for %llu samples\n", (unsigned long long)cap);
            abort();
        }
        series->value = grown;
        series->cap   = cap;
    }
    series->value[series->count++] = value;
}

void bench_single(const bench_t *bench, bench_series_t *series, uint64_t ticks)
{
    const uint64_t own = ticks > bench->pair_ticks ? ticks - bench->pair_ticks : 0;
    bench_add(series, (double)own * bench->ns_per_tick);
}

double bench_chunk(const bench_t *bench, bench_series_t *series, uint64_t ticks, uint64_t ops)
{
    const double ns = (double)ticks * bench->ns_per_tick / (double)ops;
    bench_add(series, ns);
    return ns;
}

void bench_free(bench_series_t *series)
{
    free(series->value);
    *series = (bench_series_t){0};
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double ranked(const bench_series_t *sorted, double rank)
{
    const uint64_t last = sorted->count - 1;
    const uint64_t i    = (uint64_t)(rank * (double)sorted->count);
    return sorted->value[i < last ? i : last];
}

double bench_percentile(bench_series_t *series, double rank)
{
    if (series->count == 0) {
        return 0;
    }
    qsort(series->value, series->count, sizeof *series->value, by_value);
    return ranked(series, rank);
}

/* ---- printing ---------------------------------------------------------------------------------------------------- */

static void print_on(const bench_result_t *result, const char *quote, const char *comma)
{
    for (size_t i = 0; i < BENCH_ON_MAX && result->on[i] != NULL; i++) {
        printf("%s%s%s%s", i > 0 ? comma : "", quote, result->on[i], quote);
    }
}

void bench_report(const bench_t *bench, const bench_result_t *result)
{
    bench_series_t sorted = {0};
    double         sum    = 0;
    for (uint64_t i = 0; i < result->series->count; i++) {
        bench_add(&sorted, result->series->value[i]);
        sum += result->series->value[i];
    }
    if (sorted.count == 0) {
        bench_add(&sorted, 0);
    }
    const double   p50  = bench_percentile(&sorted, 0.5);
    const double   p99  = ranked(&sorted, 0.99);
    const double   p999 = ranked(&sorted, 0.999);
    const double   max  = sorted.value[sorted.count - 1];
    const double   mean = sum / (double)sorted.count;
    const uint64_t n    = result->n != 0 ? result->n : result->series->count;
    if (bench->json) {
        printf("{\"suite\":\"%s\",\"name\":\"%s\",\"unit\":\"%s\",\"n\":%llu,\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,"
               "\"max\":%.3f,\"mean\":%.3f,\"on\":[",
               bench->suite, result->name, result->unit, (unsigned long long)n, p50, p99, p999, max, mean);
        print_on(result, "\"", ",");
        printf("],\"peer\":%s,\"regime\":\"%s\",\"bytes\":%u,\"checksum\":\"%016llx\"}\n",
               result->peer ? "true" : "false", result->regime, result->bytes, (unsigned long long)result->checksum);
    } else {
        printf("  %-27s %-6s %9llu %8.2f %8.2f %8.2f %10.2f %8.2f %6u %-7s %016llx %s", result->name, result->unit,
               (unsigned long long)n, p50, p99, p999, max, mean, result->bytes, result->regime,
               (unsigned long long)result->checksum, result->peer ? "[peer] " : "");
        print_on(result, "", ", ");
        printf("\n");
    }
    fflush(stdout);
    bench_free(&sorted);
}

void bench_note(const bench_t *bench, const char *fmt, ...)
{
    if (bench->json) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    printf("  # ");
    vprintf(fmt, args);
    printf("\n");
    va_end(args);
}

void bench_bar(const bench_t *bench, bool at_least, double figure, double limit, const char *unit, const char *fmt, ...)
{
    if (bench->bars->count == BENCH_BARS_MAX) {
        return;
    }
    bench_bar_t *bar = &bench->bars->bar[bench->bars->count++];
    *bar             = (bench_bar_t){.figure = figure, .limit = limit, .at_least = at_least, .unit = unit};
    va_list args;
    va_start(args, fmt);
    vsnprintf(bar->name, sizeof bar->name, fmt, args);
    va_end(args);
}

bool bench_over(const bench_t *bench, uint64_t began_ticks, double seconds)
{
    return bench->samples == 0 && (double)(bench_begin() - began_ticks) * bench->ns_per_tick > seconds * 1e9;
}

static void print_bars(const bench_t *bench)
{
    unsigned met = 0;
    if (bench->json || bench->bars->count == 0) {
        return;
    }
    printf("\n  %-47s %10s   %-9s %10s\n", "bar", "figure", "", "limit");
    for (uint32_t i = 0; i < bench->bars->count; i++) {
        const bench_bar_t *bar  = &bench->bars->bar[i];
        const bool         good = bar->at_least ? bar->figure >= bar->limit : bar->figure <= bar->limit;
        met += good;
        printf("  %-47s %10.3f   %-9s %10.3f %-7s %s\n", bar->name, bar->figure, bar->at_least ? "at least" : "at most",
               bar->limit, bar->unit, good ? "met" : "MISSED");
    }
    printf("  %u of %u met\n", met, bench->bars->count);
}

void bench_progress(const char *what, uint64_t done, uint64_t of)
{
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    if (what == NULL) {
        fprintf(stderr, "\r\033[K");
    } else {
        fprintf(stderr, "\r\033[K%s: %llu of %llu", what, (unsigned long long)done, (unsigned long long)of);
    }
}

/* The first line of a file that begins with key, after the colon; or the first line at all when key is "". */
static const char *line_of(const char *path, const char *key, char out[128])
{
    FILE *file = fopen(path, "re");
    snprintf(out, 128, "not visible");
    for (char line[256]; file != NULL && fgets(line, sizeof line, file) != NULL;) {
        if (strncmp(line, key, strlen(key)) == 0) {
            const char *value = key[0] != '\0' ? strchr(line, ':') : NULL;
            value             = value != NULL ? value + 1 : line;
            value += strspn(value, " \t");
            snprintf(out, 128, "%.*s", (int)strcspn(value, "\n") > 127 ? 127 : (int)strcspn(value, "\n"), value);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return out;
}

static const char *built_how(void)
{
    return
#if defined(__OPTIMIZE__)
        "optimised"
#else
        "NOT optimised: the numbers mean nothing"
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        ", sanitizers: the numbers mean nothing"
#endif
#if defined(__AVX512F__)
        ", avx512"
#elif defined(__AVX2__)
        ", x86-64-v3"
#endif
#if defined(NDEBUG)
        ", asserts off";
#else
        ", asserts on";
#endif
}

static void print_header(const bench_t *bench)
{
    char           cpu[128];
    char           governor[128];
    char           load[128];
    struct utsname os;
    uname(&os);
    printf("machine   %s, %s %s\n", line_of("/proc/cpuinfo", "model name", cpu), os.sysname, os.release);
    printf("build     %s, profile %s, %s, %s\n", version_build_id(), version_profile(), version_compiler(),
           built_how());
    printf("governor  %s; load %s\n", line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "", governor),
           line_of("/proc/loadavg", "", load));
    printf("clock     TSC %.3f GHz; an empty pair of reads costs %.1f ns, taken off single samples\n",
           1 / bench->ns_per_tick, (double)bench->pair_ticks * bench->ns_per_tick);
    printf("placement CPU %d; seed %llu; a shared or virtual machine moves all of this by tens of percent\n\n",
           bench->cpu, (unsigned long long)bench->seed);
    printf("  %-27s %-6s %9s %8s %8s %8s %10s %8s %6s %-7s %-16s %s\n", "name", "unit", "n", "p50", "p99", "p99.9",
           "max", "mean", "bytes", "regime", "checksum", "on");
}

/* ---- clock and place --------------------------------------------------------------------------------------------- */

static int64_t raw_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void calibrate(bench_t *bench)
{
    const int64_t  ns    = raw_ns();
    const uint64_t ticks = bench_begin();
    while (raw_ns() - ns < 50000000) {
    }
    const uint64_t passed_ticks = bench_end() - ticks;
    bench->ns_per_tick          = (double)(raw_ns() - ns) / (double)passed_ticks;

    bench_series_t pairs = {0};
    for (unsigned i = 0; i < 20000; i++) {
        const uint64_t begin = bench_begin();
        bench_add(&pairs, (double)(bench_end() - begin));
    }
    bench->pair_ticks = (uint64_t)bench_percentile(&pairs, 0.5);
    bench_free(&pairs);
}

/* To the CPU asked for, or to the last one allowed: interrupts and other people's work gather on the first. */
static bool pin(bench_t *bench)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return false;
    }
    for (size_t cpu = CPU_SETSIZE; bench->cpu < 0 && cpu-- > 0;) {
        bench->cpu = CPU_ISSET(cpu, &allowed) ? (int)cpu : -1;
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)bench->cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

/* ---- command ----------------------------------------------------------------------------------------------------- */

static void print_list(FILE *out)
{
    for (size_t i = 0; i < SUITE_COUNT; i++) {
        fprintf(out, "  %-10s %s\n", suites[i].name, suites[i].help);
        for (const bench_part_t *part = suites[i].parts; part != NULL && part->name != NULL; part++) {
            fprintf(out, "    --only %-12s of %s: %s\n", part->name, suites[i].name, part->help);
        }
    }
}

static void print_help(FILE *out)
{
    fprintf(out, "usage: hwal bench [--json] [--samples N] [--cpu N] [--seed N] [--only PART] [SUITE...]\n"
                 "       hwal bench --list | --help\n\n"
                 "Runs the suites named, or all; small by default. p50, p99, p99.9, max and mean of each.\n\n"
                 "  --json       one JSON object a line\n"
                 "  --samples N  operations a round (default: small)\n"
                 "  --cpu N      pin to this CPU (default: the last one allowed)\n"
                 "  --seed N     of the generated workloads (default 1)\n"
                 "  --only PART  one part of its suite, and nothing else\n\n"
                 "suites:\n");
    print_list(out);
    fprintf(out, "\nexamples:\n  hwal bench book\n  hwal bench --json --samples 5000000 book | jq .p50\n");
}

static bool parse_number(const char *option, const char *text, int64_t max, uint64_t *out)
{
    int64_t value = -1;
    if (decimal_parse(text, strlen(text), 0, &value) != ERR_OK || value < 0 || value > max) {
        fprintf(stderr, "bench: --%s is '%s', limit a number 0..%lld\n", option, text, (long long)max);
        return false;
    }
    *out = (uint64_t)value;
    return true;
}

static bool suite_has(const bench_suite_t *suite, const char *name)
{
    for (const bench_part_t *part = suite->parts; part != NULL && part->name != NULL; part++) {
        if (strcmp(part->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool part_known(const char *name)
{
    for (size_t i = 0; i < SUITE_COUNT; i++) {
        if (suite_has(&suites[i], name)) {
            return true;
        }
    }
    fprintf(stderr, "bench: --only is '%s', which is no part of any suite (`hwal bench --list` names them)\n", name);
    return false;
}

/* -1 = go on and run; else the exit code. */
static int parse_options(bench_t *bench, int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},       {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},       {"samples", required_argument, NULL, 's'},
        {"cpu", required_argument, NULL, 'c'},  {"seed", required_argument, NULL, 'r'},
        {"only", required_argument, NULL, 'o'}, {NULL, 0, NULL, 0},
    };
    uint64_t cpu = 0;
    optind       = 0; /* 0 and not 1: makes glibc forget an earlier command line of this process */
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        bool good = true;
        switch (option) {
        case 'j': bench->json = true; break;
        case 'l': print_list(stdout); return 0;
        case 'h': print_help(stdout); return 0;
        case 's': good = parse_number("samples", optarg, 100000000, &bench->samples); break;
        case 'o':
            bench->only = optarg;
            good        = part_known(optarg);
            break;
        case 'r': good = parse_number("seed", optarg, INT64_MAX, &bench->seed); break;
        case 'c':
            good       = parse_number("cpu", optarg, CPU_SETSIZE - 1, &cpu);
            bench->cpu = (int)cpu;
            break;
        default: good = false; break;
        }
        if (!good) {
            fprintf(stderr, "bench: `hwal bench --help` tells how\n");
            return 2;
        }
    }
    return -1;
}

static const bench_suite_t *suite_find(const char *name)
{
    for (size_t i = 0; i < SUITE_COUNT; i++) {
        if (strcmp(suites[i].name, name) == 0) {
            return &suites[i];
        }
    }
    return NULL;
}

static bool run_suite(bench_t *bench, const bench_suite_t *suite)
{
    bench->suite = suite->name;
    if (!bench->json) {
        printf("%s: %s\n", suite->name, suite->help);
    }
    const err_t err = suite->parts != NULL ? bench_parts_run(bench, suite->parts) : suite->run(bench);
    if (err != ERR_OK) {
        fprintf(stderr, "bench: suite %s: %s: %s\n", suite->name, err_str(err), err_msg());
    }
    return err == ERR_OK;
}

int bench_main(int argc, char **argv)
{
    bench_t   bench = {.seed = 1, .cpu = -1};
    const int code  = parse_options(&bench, argc, argv);
    if (code >= 0) {
        return code;
    }
    const int first = optind;
    for (int i = first; i < argc; i++) {
        if (suite_find(argv[i]) == NULL) {
            fprintf(stderr, "bench: no suite '%s'; there are:\n", argv[i]);
            print_list(stderr);
            return 2;
        }
        if (bench.only != NULL && !suite_has(suite_find(argv[i]), bench.only)) {
            fprintf(stderr, "bench: --only %s is a part of another suite, the suite here is '%s'\n", bench.only,
                    argv[i]);
            return 2;
        }
    }
    if (!pin(&bench)) {
        fprintf(stderr, "bench: cannot pin to CPU %d: %s\n", bench.cpu, strerror(errno));
        return 1;
    }
    calibrate(&bench);
    if (!bench.json) {
        print_header(&bench);
    }
    bench.bars = mmap(NULL, sizeof *bench.bars, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (bench.bars == MAP_FAILED) {
        fprintf(stderr, "bench: no page to share: %s\n", strerror(errno));
        return 1;
    }
    bool good = true;
    for (size_t i = 0; first == argc && i < SUITE_COUNT; i++) {
        const bool meant = bench.only == NULL || suite_has(&suites[i], bench.only);
        good             = (!meant || run_suite(&bench, &suites[i])) && good;
    }
    for (int i = first; i < argc; i++) {
        good = run_suite(&bench, suite_find(argv[i])) && good;
    }
    print_bars(&bench);
    munmap(bench.bars, sizeof *bench.bars);
    return good ? 0 : 1;
}
