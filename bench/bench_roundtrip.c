/* How long is a message there and its answer back, from process to process, compared with a bare cache line that
 * makes the same way? Our two rings with plain words of one, two and five lines and with our real messages at their
 * true bytes; the peers with 64 bytes in the same interleaving.
 *
 *   mean     windows of 1,000 round trips without a clock between, after one to warm up: window / 1,000
 *   / line   that mean over the probe around its window: the figure to compare between machines
 *   clocked  other windows, each round trip between two readings of the clock (whose own cost is taken off): for the
 *            tail
 *
 * One line: at most 1.35; two lines: at most 1.7; larger ones are printed. */
#include <stdio.h>

#include "bench/hop.h"
#include "ipc/message.h"

#define WINDOW PAIR_WINDOW

typedef struct row { /* of one contender, by regime */
    bench_series_t mean[PAIR_REGIMES], ratio[PAIR_REGIMES], clocked[PAIR_REGIMES];
} row_t;

/* Other contenders' windows have pushed the rings out of the caches: a window that nobody times comes first. */
static void warm_up(hops_t *hops, const hop_t *hop)
{
    pair_begin(&hops->pair, hop->loops.pong, &hop->side[1], WINDOW);
    hop->loops.ping(&hop->side[0], WINDOW);
    pair_end(&hops->pair);
}

static void mean_window(hops_t *hops, const hop_t *hop, row_t *row)
{
    double probe;
    pair_window_begin(&hops->pair);
    pair_begin(&hops->pair, hop->loops.pong, &hop->side[1], WINDOW);
    const uint64_t t0 = bench_begin();
    hop->loops.ping(&hop->side[0], WINDOW);
    const uint64_t ticks = bench_end() - t0;
    pair_end(&hops->pair);
    const pair_regime_t regime = pair_window_end(&hops->pair, &probe);
    const double        ns     = bench_chunk(hops->pair.bench, &row->mean[regime], ticks, WINDOW);
    bench_add(&row->ratio[regime], ns / probe);
}

static void clocked_window(hops_t *hops, const hop_t *hop, row_t *row)
{
    double probe;
    pair_window_begin(&hops->pair);
    pair_begin(&hops->pair, hop->loops.pong, &hop->side[1], WINDOW);
    hop->loops.clocked(&hop->side[0], WINDOW);
    pair_end(&hops->pair);
    const pair_regime_t regime = pair_window_end(&hops->pair, &probe);
    for (uint32_t i = 0; i < WINDOW; i++) {
        bench_single(hops->pair.bench, &row->clocked[regime], hop->side[0].ticks[i]);
    }
}

static void report(const bench_t *bench, const hop_t *hop, const row_t *row, pair_regime_t regime)
{
    const struct {
        const char           *what, *unit;
        const bench_series_t *series;
    } results[] = {{"mean", "ns", &row->mean[regime]},
                   {"/ line", "ratio", &row->ratio[regime]},
                   {"clocked", "ns", &row->clocked[regime]}};
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        char name[BENCH_NAME_MAX + 1];
        snprintf(name, sizeof name, "%s %s", hop->name, results[i].what);
        const bool per_window = results[i].series != &row->clocked[regime];
        if (results[i].series->count != 0 && (regime != PAIR_X || results[i].series != &row->ratio[regime])) {
            bench_report(bench, &(bench_result_t){.name     = name,
                                                  .unit     = results[i].unit,
                                                  .regime   = pair_regime_str(regime),
                                                  .on       = {"every word checked"},
                                                  .series   = results[i].series,
                                                  .n        = per_window ? results[i].series->count * WINDOW : 0,
                                                  .bytes    = hop->bytes,
                                                  .checksum = hop->side[0].received,
                                                  .peer     = hop->peer});
        }
    }
}

/* The regime that most windows were in: bars are judged there. */
static pair_regime_t usual(const row_t *rows, uint32_t count)
{
    uint64_t windows[PAIR_X] = {0};
    for (uint32_t k = 0; k < count; k++) {
        for (int r = 0; r < PAIR_X; r++) {
            windows[r] += rows[k].ratio[r].count;
        }
    }
    pair_regime_t best = PAIR_S;
    for (pair_regime_t r = PAIR_N; r < PAIR_X; r++) {
        best = windows[r] > windows[best] ? r : best;
    }
    return best;
}

static void judge(const bench_t *bench, const hops_t *hops, row_t *rows)
{
    const pair_regime_t regime = usual(rows, hops->count);
    for (uint32_t k = 0; k < hops->count; k++) {
        const hop_t    *hop   = &hops->hop[k];
        bench_series_t *ratio = &rows[k].ratio[regime];
        if (!hop->peer && hop->lines <= 2 && ratio->count != 0) {
            bench_bar(bench, false, bench_percentile(ratio, 0.5), hop->lines == 1 ? 1.35 : 1.7, "ratio",
                      "round trip / line, %s, %u B, %s", hop->name, hop->bytes, pair_regime_str(regime));
        }
    }
}

/* Bytes of each message, as template or builder writes it, and the lines of 64 that it takes with its slot's head. */
static void note_bytes(const bench_t *bench)
{
    char   text[160];
    size_t len = 0;
    for (unsigned type = 1; type < MSG_TYPE_COUNT; type++) {
        const uint32_t tail  = type == MSG_BOOK_UPDATE ? 16 : 0;
        const uint32_t bytes = message_bytes((msg_type_t)type, tail);
        if (bytes == 0) { /* as long as its text */
            len += (size_t)snprintf(text + len, sizeof text - len, " %s by its text", msg_type_str((msg_type_t)type));
        } else {
            len += (size_t)snprintf(text + len, sizeof text - len, " %s%s %u (%u)", msg_type_str((msg_type_t)type),
                                    tail ? " of 16 levels" : "", bytes, (bytes + RING_SLOT_HEAD + 63) / 64);
        }
        if (type % 4 == 0 || type + 1 == MSG_TYPE_COUNT) {
            bench_note(bench, "bytes (lines):%s", text);
            len = 0;
        }
    }
}

err_t bench_roundtrip(bench_t *bench)
{
    static hops_t  hops;
    static row_t   rows[HOP_MAX];
    const uint64_t windows = bench->samples ? bench->samples / WINDOW + 1 : 100;
    err_t          err     = hops_open(&hops, bench, true);
    uint64_t       w       = 0;
    const uint64_t began   = bench_begin();
    for (; !err && w < windows && !bench_over(bench, began, 20); w++) {
        bench_progress("round trips, window", w + 1, windows);
        for (uint32_t k = 0; k < hops.count; k++) {
            warm_up(&hops, &hops.hop[k]);
            mean_window(&hops, &hops.hop[k], &rows[k]);
            clocked_window(&hops, &hops.hop[k], &rows[k]);
        }
    }
    bench_progress(NULL, 0, 0);
    err            = err ? err : hops_wrong(&hops);
    uint64_t apart = 0;
    for (uint32_t k = 0; !err && k < hops.count; k++) {
        for (int r = 0; r < PAIR_REGIMES; r++) {
            report(bench, &hops.hop[k], &rows[k], (pair_regime_t)r);
        }
        apart += rows[k].mean[PAIR_X].count;
    }
    if (!err) {
        bench_note(bench,
                   "%llu of %llu windows of means stand apart as X: an unsteady probe, or a process switched out",
                   (unsigned long long)apart, (unsigned long long)(w * hops.count));
        note_bytes(bench);
        judge(bench, &hops, rows);
    }
    for (uint32_t k = 0; k < HOP_MAX; k++) {
        for (int r = 0; r < PAIR_REGIMES; r++) {
            bench_free(&rows[k].mean[r]);
            bench_free(&rows[k].ratio[r]);
            bench_free(&rows[k].clocked[r]);
        }
    }
    hops_close(&hops);
    return err;
}
