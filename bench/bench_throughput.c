/* How many messages a second go one way, from process to process, batching on? Windows of 20,000 messages flat out,
 * the clock from the first one filled until the reader has checked the last one; only messages that were received
 * and checked count. Lossless rings commit and take up to 64 at once; a broadcast writer waits for nobody, so its
 * ring holds a window (32,768 slots), and what a reader should lose all the same is printed and not counted. Peers
 * by their calls for 64 messages, where they have them, and by those for one ("x1"), in the same interleaving.
 *
 * At least twice the best peer with 64 bytes. Beside it the distance to 100 M msg/s with 64 bytes in regime N, which
 * is what the best known queue (Firedancer's, which is in no package) is said to reach. */
#include <stdio.h>

#include "bench/hop.h"

#define WINDOW 20000u
#define BEST_KNOWN 100.0 /* M msg/s */

typedef struct row {                   /* of one contender */
    bench_series_t rate[PAIR_REGIMES]; /* M msg/s */
} row_t;

static void window(hops_t *hops, const hop_t *hop, row_t *row)
{
    double         probe;
    const uint64_t before = hop->side[1].received;
    pair_window_begin(&hops->pair);
    pair_begin(&hops->pair, hop->loops.drain, &hop->side[1], WINDOW);
    const uint64_t t0 = bench_begin();
    hop->loops.flood(&hop->side[0], WINDOW);
    pair_end(&hops->pair);
    const double        us     = (double)(bench_end() - t0) * hops->pair.bench->ns_per_tick / 1e3;
    const pair_regime_t regime = pair_window_end(&hops->pair, &probe);
    bench_add(&row->rate[regime], (double)(hop->side[1].received - before) / us);
}

static void report(const bench_t *bench, const hop_t *hop, row_t *row)
{
    char name[BENCH_NAME_MAX + 1];
    snprintf(name, sizeof name, "%s one way", hop->name);
    for (int r = 0; r < PAIR_REGIMES; r++) {
        if (row->rate[r].count != 0) {
            bench_report(bench, &(bench_result_t){.name     = name,
                                                  .unit     = "Mmsg/s",
                                                  .regime   = pair_regime_str((pair_regime_t)r),
                                                  .on       = {"every word checked"},
                                                  .series   = &row->rate[r],
                                                  .n        = row->rate[r].count * WINDOW,
                                                  .bytes    = hop->bytes,
                                                  .checksum = hop->side[1].received,
                                                  .peer     = hop->peer});
        }
    }
    const uint64_t lost = hop->side[1].cast_from.lost;
    if (lost != 0) {
        bench_note(bench, "%s, %u bytes: %llu received and checked, %llu lost by a reader that was lapped", hop->name,
                   hop->bytes, (unsigned long long)hop->side[1].received, (unsigned long long)lost);
    }
}

/* In one regime: the best of ours with 64 bytes against the best peer. */
static void judge(const bench_t *bench, const hops_t *hops, row_t *rows, pair_regime_t regime)
{
    double      ours = 0, theirs = 0;
    const char *our_name = "", *their_name = "";
    for (uint32_t k = 0; k < hops->count; k++) {
        const hop_t *hop  = &hops->hop[k];
        const double rate = bench_percentile(&rows[k].rate[regime], 0.5);
        if (hop->bytes != PEER_MESSAGE) {
            continue;
        }
        if (hop->peer && rate > theirs) {
            theirs     = rate;
            their_name = hop->name;
        } else if (!hop->peer && rate > ours) {
            ours     = rate;
            our_name = hop->name;
        }
    }
    if (ours <= 0) {
        return;
    }
    if (theirs > 0) {
        bench_bar(bench, true, ours / theirs, 2, "ratio", "one way, %s / %s, 64 B, %s", our_name, their_name,
                  pair_regime_str(regime));
    }
    bench_note(
        bench,
        "regime %s: %s %.1f M msg/s with 64 bytes: %.0f %% of the %.0f M that the best known reaches in N; best peer "
        "%s %.1f",
        pair_regime_str(regime), our_name, ours, 100 * ours / BEST_KNOWN, BEST_KNOWN,
        theirs > 0 ? their_name : "(none)", theirs);
}

err_t bench_throughput(bench_t *bench)
{
    static hops_t  hops;
    static row_t   rows[HOP_MAX];
    const uint64_t windows = bench->samples ? bench->samples / WINDOW + 1 : 100;
    err_t          err     = hops_open(&hops, bench, false);
    const uint64_t began   = bench_begin();
    for (uint64_t w = 0; !err && w < windows && !bench_over(bench, began, 10); w++) {
        bench_progress("one way, window", w + 1, windows);
        for (uint32_t k = 0; k < hops.count; k++) {
            window(&hops, &hops.hop[k], &rows[k]);
        }
    }
    bench_progress(NULL, 0, 0);
    err = err ? err : hops_wrong(&hops);
    for (uint32_t k = 0; !err && k < hops.count; k++) {
        report(bench, &hops.hop[k], &rows[k]);
    }
    for (int r = 0; !err && r < PAIR_X; r++) {
        judge(bench, &hops, rows, (pair_regime_t)r);
    }
    for (uint32_t k = 0; k < HOP_MAX; k++) {
        for (int r = 0; r < PAIR_REGIMES; r++) {
            bench_free(&rows[k].rate[r]);
        }
    }
    hops_close(&hops);
    return err;
}
