/* How long from nothing to the first complete book? On a live instance (generated market, everything on): open the
 * instance's directory, find, map and check every role's segment, join the records, and read books until one is
 * there that is LIVE and has both sides. Again and again: each time everything is mapped anew and given back. At
 * most 1 ms (p50). */
#include <unistd.h>

#include "bench/bench.h"
#include "bench/instance.h"
#include "ipc/attach.h"

static bool whole_book(attach_t *a)
{
    static attach_message_t message;
    records_reader_t        books, feeds;
    if (!attach_records(a, RECORD_ID_BOOKS, &books) || !attach_records(a, RECORD_ID_FEEDS, &feeds)) {
        return false;
    }
    for (uint32_t i = 0; i < books.count; i++) {
        if (attach_record(a, &feeds, i, &message) != ERR_OK ||
            ((const feed_state_t *)message.msg.body)->health != FEED_LIVE ||
            attach_record(a, &books, i, &message) != ERR_OK) {
            continue;
        }
        const book_update_t *book = message.msg.body;
        if (book->bid_count != 0 && book->ask_count != 0) {
            return true;
        }
    }
    return false;
}

/* ns until the book was read; 0 and an error: there is no such instance, or no book of it lives within a second. */
static err_t once(const bench_t *bench, const char *name, bench_series_t *out)
{
    static attach_t a;
    const uint64_t  t0  = bench_begin();
    const err_t     err = attach_open(&a, name, getuid());
    if (err != ERR_OK) {
        return err;
    }
    bool           whole = false;
    const uint64_t limit = t0 + (uint64_t)(1e9 / bench->ns_per_tick);
    uint64_t       now   = t0;
    while (!whole && now < limit) {
        whole = whole_book(&a);
        now   = bench_end();
    }
    bench_single(bench, out, now - t0);
    attach_close(&a);
    return whole ? ERR_OK : err_set(ERR_STATE, "attach: no live book in %s within a second", name);
}

err_t bench_attach(bench_t *bench)
{
    static const char *const args[BENCH_INSTANCE_ARGS] = {"--rate", "20000", "--seconds", "120"};
    bench_instance_t         instance;
    bench_series_t           series = {0};
    const uint64_t           count  = bench->samples && bench->samples < 100000 ? 50 : 1000;
    err_t                    err    = bench_instance_home(&instance);
    err                             = err ? err : bench_instance_start(&instance, args);
    if (!err) {
        bench_sleep_ms(1000); /* its books begin */
    }
    for (uint64_t i = 0; !err && i < count; i++) {
        bench_progress("attach", i, count);
        err = once(bench, instance.name, &series);
    }
    bench_progress(NULL, 0, 0);
    const err_t stopped = bench_instance_stop(&instance);
    if (!err) {
        bench_report(bench, &(bench_result_t){.name   = "attach to whole book",
                                              .unit   = "ns",
                                              .regime = "adaptive",
                                              .on     = {"risk", "journal", "publication", "20000/s"},
                                              .series = &series});
        bench_bar(bench, false, bench_percentile(&series, 0.5) / 1e6, 1, "ms", "attach to first complete book, p50");
    }
    bench_free(&series);
    return err ? err : stopped;
}
