/* What do the small operations cost that everything else is made of? In one thread, warm, in chunks of 1,000:
 * writing an order by template, reading five of its fields by view, verifying it, recording a value in a histogram,
 * adding to a counter. Each chunk works through 64 buffers, 8 values or 4 counters in turn, as a role does, and not
 * on one word again and again, which would time the way from a store to the next load. */
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "hwal_fbs.h"
#include "ipc/counters.h"
#include "ipc/histogram.h"

#define CHUNK 1000u
#define BUFFERS 64u

typedef struct ground {
    _Alignas(128) uint8_t order[BUFFERS][128];
    _Alignas(8) uint8_t book[512];
    uint64_t     values[8];
    histogram_t *histogram;
    counters_t  *counters;
} ground_t;

static void write_order(uint8_t *at, uint64_t i)
{
    hwal_order_request_msg_slot_t slot;
    hwal_order_request_msg_reserve(at, HWAL_ORDER_REQUEST_MSG_BYTES, &slot);
    *slot.body = (order_req_t){.cl_ord_id       = i,
                               .corr_hi         = i + 1,
                               .corr_lo         = i + 2,
                               .tenant_id       = 1,
                               .account_id      = 2,
                               .strategy_id     = (uint32_t)i & 7,
                               .instrument_id   = (uint32_t)i & 63,
                               .px              = 10000000 + (int64_t)i,
                               .qty             = 1 + (int64_t)(i & 1023),
                               .created_mono_ns = (int64_t)i,
                               .action          = ORDER_ACTION_NEW,
                               .side            = SIDE_BUY,
                               .ord_type        = ORD_TYPE_LIMIT,
                               .tif             = TIF_GTC,
                               .exec_inst       = EXEC_INST_POST_ONLY};
}

static uint64_t run_write(ground_t *g, uint64_t from)
{
    for (uint64_t i = from; i < from + CHUNK; i++) {
        write_order(g->order[i % BUFFERS], i);
        __asm__ volatile("" ::: "memory"); /* the buffer is for somebody else */
    }
    return g->order[0][20];
}

static uint64_t run_read(ground_t *g, uint64_t from)
{
    uint64_t sum = 0;
    for (uint64_t i = from; i < from + CHUNK; i++) {
        const hwal_order_request_msg_view_t view = hwal_order_request_msg_view(g->order[i % BUFFERS]);
        sum += view.body->cl_ord_id + view.body->instrument_id + (uint64_t)view.body->px + (uint64_t)view.body->qty +
               view.body->side;
        __asm__ volatile("" ::: "memory");
    }
    return sum;
}

static uint64_t run_verify(ground_t *g, uint64_t from)
{
    uint64_t good = 0;
    for (uint64_t i = from; i < from + CHUNK; i++) {
        good += hwal_order_request_msg_verify(g->order[i % BUFFERS], HWAL_ORDER_REQUEST_MSG_BYTES) == ERR_OK;
        __asm__ volatile("" ::: "memory");
    }
    return good;
}

static uint64_t run_verify_book(ground_t *g, uint64_t from)
{
    uint64_t good = 0;
    for (uint64_t i = from; i < from + CHUNK; i++) {
        good += hwal_book_update_msg_verify(g->book, HWAL_BOOK_UPDATE_MSG_BYTES(16)) == ERR_OK;
        __asm__ volatile("" ::: "memory");
    }
    return good;
}

static uint64_t run_histogram(ground_t *g, uint64_t from)
{
    for (uint64_t i = from; i < from + CHUNK; i++) {
        histogram_record(g->histogram, g->values[i % 8], i);
    }
    return histogram_count(g->histogram) % CHUNK;
}

static uint64_t run_counter(ground_t *g, uint64_t from)
{
    for (uint64_t i = from; i < from + CHUNK; i++) {
        counter_add(g->counters, (counter_t)(COUNTER_INPUTS + i % 4), 1);
    }
    return counter_get(g->counters, COUNTER_INPUTS) % CHUNK;
}

static void *zeroed(size_t bytes)
{
    void *mem = aligned_alloc(128, (bytes + 127) & ~(size_t)127);
    return mem != NULL ? memset(mem, 0, bytes) : NULL;
}

static err_t ground_make(ground_t *g, uint64_t seed)
{
    void *histogram = zeroed(histogram_footprint()), *counters = zeroed(counters_footprint());
    g->histogram = histogram != NULL ? histogram_new(histogram, "ns", 0) : NULL;
    g->counters  = counters != NULL ? counters_new(counters) : NULL;
    if (g->histogram == NULL || g->counters == NULL) {
        return err_set(ERR_LIMIT, "small: no memory");
    }
    for (int i = 0; i < 8; i++) {
        g->values[i] = 200 + bench_random(&seed) % 20000;
    }
    for (uint64_t i = 0; i < BUFFERS; i++) {
        write_order(g->order[i], i);
    }
    hwal_book_update_msg_slot_t slot;
    hwal_book_update_msg_reserve(g->book, sizeof g->book, &slot);
    *slot.body = (book_update_t){.instrument_id = 1, .bid_count = 8, .ask_count = 8};
    memset(slot.levels, 0, 16 * sizeof *slot.levels);
    hwal_book_update_msg_commit(&slot, 16);
    return ERR_OK;
}

err_t bench_small(bench_t *bench)
{
    static ground_t g;
    static const struct {
        const char *name;
        uint64_t (*run)(ground_t *, uint64_t);
        double   limit; /* ns */
        uint32_t bytes;
    } kinds[] = {{"order, template write", run_write, 15, HWAL_ORDER_REQUEST_MSG_BYTES},
                 {"order, read 5 fields", run_read, 5, HWAL_ORDER_REQUEST_MSG_BYTES},
                 {"order, verify", run_verify, 60, HWAL_ORDER_REQUEST_MSG_BYTES},
                 {"16-level book, verify", run_verify_book, 60, HWAL_BOOK_UPDATE_MSG_BYTES(16)},
                 {"histogram record", run_histogram, 5, 0},
                 {"counter add", run_counter, 1.5, 0}};
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    bench_series_t series[KINDS] = {{0}};
    uint64_t       sum[KINDS]    = {0};
    const uint64_t chunks        = bench->samples ? bench->samples / CHUNK + 1 : 2000;
    err_t          err           = ground_make(&g, bench->seed);
    for (uint64_t c = 0; !err && c < chunks; c++) {
        for (int k = 0; k < KINDS; k++) {
            const uint64_t t0 = bench_begin();
            sum[k] += kinds[k].run(&g, c * CHUNK + 1);
            bench_chunk(bench, &series[k], bench_end() - t0, CHUNK);
        }
    }
    for (int k = 0; !err && k < KINDS; k++) {
        bench_report(bench, &(bench_result_t){.name     = kinds[k].name,
                                              .unit     = "ns",
                                              .regime   = "single",
                                              .series   = &series[k],
                                              .n        = series[k].count * CHUNK,
                                              .bytes    = kinds[k].bytes,
                                              .checksum = sum[k]});
        bench_bar(bench, false, bench_percentile(&series[k], 0.5), kinds[k].limit, "ns", "%s", kinds[k].name);
    }
    for (int k = 0; k < KINDS; k++) {
        bench_free(&series[k]);
    }
    free(g.histogram);
    free(g.counters);
    return err;
}
