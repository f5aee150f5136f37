/* How long does an order take in the matching book, and how far is that from books as others would write them?
 *
 * Workload  that of PERFORMANCE.md, part 2, 1a: of 100 events 48 add a limit order (85 % a geometric distance of mean 6
 *           ticks behind the middle, 12 % 0-100, 3 % 0-1000), 42 cancel one (60 % of the latest ones, 40 % any), 10 take
 *           (IOC, crossing); ~9,800 orders rest. Ids are arbitrary 64-bit numbers. Each order has one of 1,000 owners
 *           and asks for self-trade prevention. Generated from the seed; the mix that came out is printed.
 *           crash: the middle falls by 40,000 ticks and comes back, with jumps of up to 1,000 on the way.
 * Output    a report of 64 bytes for each acknowledgement, trade and cancel, written into a ring; its bytes are the
 *           checksum, folded between the timed chunks. Peers must come to the same one.
 * Peers     bench/peers/orders.cc: std::map with lists and a hash, Boost's flat_map, Boost's intrusive containers.
 * Books     each event to a random one of 1,000 or 10,000 smaller books: there the book is not in cache, and what is
 *           measured is memory. The footprint of one book is in the column bytes.
 *           Our books lie in huge pages where the system gives them, as segments do; peers where their allocator puts them.
 *           In batches: events are asked for 16 at a time (clob_prefetch) before they are played.
 * Rounds    the same trace, each implementation in turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/bench.h"
#include "bench/peers/orders.h"
#include "core/match/clob.h"

#define EVENTS_DEFAULT 300000u
#define CHUNK 200u
#define ROUNDS 5u
#define PEER_ROUNDS 3u
#define OWNERS 1000u
#define BATCH 16u
#define RECENT 256u
#define MIDDLE 1000000

typedef struct scene {
    const char *name;
    uint32_t    books;
    uint32_t    live;       /* orders of one book, about */
    uint32_t    orders_max; /* of one book */
    uint32_t    window_ticks;
    bool        crash;
} scene_t;

typedef struct trace {
    orders_event_t *events;
    uint64_t        first; /* before it the books are filled, not timed */
    uint64_t        count;
} trace_t;

/* ---- our book ------------------------------------------------------------------------------------------------------ */

typedef struct ours {
    const scene_t *scene;
    char          *memory;
    size_t         bytes; /* of one book */
    clob_event_t  *fills;
} ours_t;

static clob_t *ours_book(const ours_t *ours, uint32_t i)
{
    return (clob_t *)(ours->memory + i * ours->bytes);
}

static void ours_close(ours_t *ours)
{
    free(ours->memory);
    free(ours->fills);
    *ours = (ours_t){0};
}

static err_t ours_open(ours_t *ours, const scene_t *scene)
{
    const clob_cfg_t cfg = {.px_step = 1, .orders_max = scene->orders_max, .window_ticks = scene->window_ticks};
    *ours                = (ours_t){.scene = scene, .bytes = clob_footprint(&cfg)};
    const size_t huge    = 2u << 20; /* as the segments of an instance: huge pages where the system gives them */
    const size_t total   = (scene->books * ours->bytes + huge - 1) / huge * huge;
    ours->memory         = aligned_alloc(huge, total);
    if (ours->memory != NULL) {
        madvise(ours->memory, total, MADV_HUGEPAGE);
    }
    ours->fills = malloc(scene->orders_max * sizeof *ours->fills);
    if (ours->memory == NULL || ours->fills == NULL) {
        ours_close(ours);
        return err_set(ERR_IO, "no memory for %u books of %zu bytes", scene->books, ours->bytes);
    }
    for (uint32_t i = 0; i < scene->books; i++) {
        clob_new(ours_book(ours, i), &cfg);
    }
    return ERR_OK;
}

static clob_order_t order_of(const orders_event_t *event)
{
    return (clob_order_t){.id       = event->id,
                          .px       = event->px,
                          .qty      = event->qty,
                          .owner    = event->owner,
                          .side     = event->sell != 0 ? SIDE_SELL : SIDE_BUY,
                          .ord_type = ORD_TYPE_LIMIT,
                          .tif      = event->kind == ORDERS_TAKE ? TIF_IOC : TIF_GTC,
                          .stp      = STP_CANCEL_NEWEST};
}

static inline void ours_event(const ours_t *ours, const orders_event_t *event, orders_out_t *out)
{
    clob_t *clob = ours_book(ours, event->book);
    if (event->kind == ORDERS_CANCEL) {
        int64_t leaves = -1;
        clob_cancel(clob, event->id, &leaves);
        orders_put(out, ORDERS_CANCELED, event, 0, 0, 0, leaves);
    } else {
        const clob_order_t order = order_of(event);
        clob_out_t         done  = {.events = ours->fills, .cap = ours->scene->orders_max};
        if (clob_submit(clob, &order, &done) == ERR_OK) {
            for (uint32_t i = 0; i < done.count; i++) {
                const clob_event_t *fill = &done.events[i];
                orders_put(out, ORDERS_TRADE, event, fill->maker_id, fill->px, fill->qty, fill->maker_leaves_qty);
            }
            orders_put(out, ORDERS_ACK, event, 0, event->px, event->qty, done.leaves_qty);
        }
    }
    out->seq++;
}

static void ours_run(void *books, const orders_event_t *events, uint32_t n, orders_out_t *out)
{
    for (uint32_t i = 0; i < n; i++) {
        ours_event(books, &events[i], out);
    }
}

/* As a feed or a gateway would that has a batch at hand: what its orders will touch is asked for before the first. */
static void ours_run_batches(void *books, const orders_event_t *events, uint32_t n, orders_out_t *out)
{
    for (uint32_t i = 0; i < n; i += BATCH) {
        const uint32_t end = n - i < BATCH ? n : i + BATCH;
        for (unsigned round = 0; round < CLOB_PREFETCH_ROUNDS; round++) {
            for (uint32_t k = i; k < end; k++) {
                const orders_event_t *event = &events[k];
                const side_t side = event->kind == ORDERS_CANCEL ? 0 : (event->sell != 0 ? SIDE_SELL : SIDE_BUY);
                clob_prefetch(ours_book(books, event->book), event->id, side, event->px, round);
            }
        }
        ours_run(books, &events[i], end - i, out);
    }
}

/* ---- the trace ----------------------------------------------------------------------------------------------------- */

typedef struct live { /* of one book */
    uint32_t count;
    uint32_t recent_count;
    uint64_t recent[RECENT];
    int64_t  middle;
} live_t;

typedef struct maker { /* a resting order: the place-th of its book; and which row is at that place */
    uint32_t place;
    uint32_t row;
} maker_t;

typedef struct mill { /* makes a trace: plays it into books of ours to know what rests */
    ours_t   ours;
    live_t  *live;
    maker_t *makers; /* orders_max for each book: place by row, row by place */
    uint64_t seed;
    uint64_t ids;
    uint64_t count[3], trades, levels, resting, stopped;
} mill_t;

static void maker_gone(mill_t *mill, uint32_t book, uint32_t row)
{
    live_t        *live   = &mill->live[book];
    maker_t       *makers = &mill->makers[(size_t)book * mill->ours.scene->orders_max];
    const uint32_t place  = makers[row].place;
    const uint32_t last   = makers[--live->count].row;
    makers[place].row     = last;
    makers[last].place    = place;
}

static void maker_new(mill_t *mill, uint32_t book, uint32_t row)
{
    live_t  *live             = &mill->live[book];
    maker_t *makers           = &mill->makers[(size_t)book * mill->ours.scene->orders_max];
    makers[row].place         = live->count;
    makers[live->count++].row = row;
}

static int64_t draw_distance(uint64_t *seed)
{
    const uint64_t kind = bench_random(seed) % 100;
    if (kind >= 85) {
        return (int64_t)(bench_random(seed) % (kind < 97 ? 101 : 1001));
    }
    int64_t ticks = 0; /* geometric, mean 6 */
    for (uint64_t bits = bench_random(seed); ticks < 200; ticks++, bits = bench_random(seed)) {
        if (bits % 7 == 0) {
            break;
        }
    }
    return ticks;
}

/* Where the middle is: a walk, or a fall to a place 40,000 ticks below and the way back. */
static int64_t draw_middle(const scene_t *scene, int64_t before, uint64_t *seed, uint64_t i, uint64_t count)
{
    const int64_t step = bench_random(seed) % 50 == 0 ? (int64_t)(bench_random(seed) % 3) - 1 : 0;
    if (!scene->crash) {
        return before + step;
    }
    const int64_t part =
        (int64_t)(i * 4000 / (count == 0 ? 1 : count)); /* of 4000: down in the 2nd quarter, up in the 4th */
    const int64_t fall  = part < 1000 ? 0 : (part < 2000 ? part - 1000 : (part < 3000 ? 1000 : 4000 - part));
    const int64_t jumps = part % 1000 < 5 && part >= 1000 ? (int64_t)(bench_random(seed) % 2001) - 1000 : 0;
    return MIDDLE - 40 * fall + step + jumps;
}

static orders_event_t draw_add(mill_t *mill, uint32_t book)
{
    live_t       *live = &mill->live[book];
    const bool    sell = (bench_random(&mill->seed) & 1) != 0;
    const int64_t away = 1 + draw_distance(&mill->seed);
    int64_t       px   = sell ? live->middle + away : live->middle - away;
    level_t       other;
    if (clob_best(ours_book(&mill->ours, book), sell ? SIDE_BUY : SIDE_SELL, &other)) { /* it is to rest */
        px = sell ? (px > other.px ? px : other.px + 1) : (px < other.px ? px : other.px - 1);
    }
    uint64_t at = mill->ids++;
    return (orders_event_t){.id    = bench_random(&at) | 1,
                            .px    = px,
                            .qty   = 1 + (uint32_t)(bench_random(&mill->seed) % 100),
                            .owner = 1 + (uint32_t)(bench_random(&mill->seed) % OWNERS),
                            .book  = book,
                            .kind  = ORDERS_ADD,
                            .sell  = sell};
}

static orders_event_t draw_cancel(mill_t *mill, uint32_t book)
{
    const live_t  *live   = &mill->live[book];
    const clob_t  *clob   = ours_book(&mill->ours, book);
    const maker_t *makers = &mill->makers[(size_t)book * mill->ours.scene->orders_max];
    clob_rest_t    rest;
    clob_at(clob, makers[bench_random(&mill->seed) % live->count].row, &rest);
    if (bench_random(&mill->seed) % 10 < 6) {
        const uint32_t n = live->recent_count < RECENT ? live->recent_count : RECENT;
        for (uint32_t tries = 0; tries < 8; tries++) {
            if (clob_find(clob, live->recent[bench_random(&mill->seed) % n], &rest)) {
                break;
            }
        }
    }
    return (orders_event_t){.id = rest.id, .book = book, .kind = ORDERS_CANCEL, .owner = rest.owner};
}

static orders_event_t draw_take(mill_t *mill, uint32_t book)
{
    const bool sell = (bench_random(&mill->seed) & 1) != 0;
    level_t    other;
    clob_best(ours_book(&mill->ours, book), sell ? SIDE_BUY : SIDE_SELL, &other);
    uint64_t at = mill->ids++;
    return (orders_event_t){.id    = bench_random(&at) | 1,
                            .px    = sell ? other.px - 5 : other.px + 5,
                            .qty   = 1 + (uint32_t)(bench_random(&mill->seed) % 75),
                            .owner = 1 + (uint32_t)(bench_random(&mill->seed) % OWNERS),
                            .book  = book,
                            .kind  = ORDERS_TAKE,
                            .sell  = sell};
}

static orders_event_t draw_event(mill_t *mill, uint32_t book)
{
    const live_t  *live = &mill->live[book];
    const uint32_t want = mill->ours.scene->live;
    const uint64_t dice = bench_random(&mill->seed) % 100;
    if (live->count > want / 2 && dice < 10) {
        return draw_take(mill, book);
    }
    const bool room = live->count < mill->ours.scene->orders_max - 1; /* adds and cancels keep what rests near live */
    return room && (live->count < want / 2 || dice - 10 < (live->count < want ? 54u : 42u)) ? draw_add(mill, book)
                                                                                            : draw_cancel(mill, book);
}

static void mill_play(mill_t *mill, const orders_event_t *event)
{
    clob_t *clob = ours_book(&mill->ours, event->book);
    mill->count[event->kind]++;
    if (event->kind == ORDERS_CANCEL) {
        clob_rest_t rest;
        int64_t     leaves;
        clob_find(clob, event->id, &rest);
        clob_cancel(clob, event->id, &leaves);
        maker_gone(mill, event->book, rest.row);
        return;
    }
    const clob_order_t order = order_of(event);
    clob_out_t         out   = {.events = mill->ours.fills, .cap = mill->ours.scene->orders_max};
    if (clob_submit(clob, &order, &out) != ERR_OK) {
        return;
    }
    mill->trades += out.count;
    mill->stopped += out.stopped;
    for (uint32_t i = 0; i < out.count; i++) {
        if (out.events[i].maker_leaves_qty == 0) {
            maker_gone(mill, event->book, out.events[i].maker_row);
        }
    }
    if (out.resting) {
        live_t *live                                = &mill->live[event->book];
        live->recent[live->recent_count++ % RECENT] = event->id;
        maker_new(mill, event->book, out.row);
    }
}

static err_t mill_make(bench_t *bench, const scene_t *scene, trace_t *trace)
{
    mill_t   mill   = {.seed = bench->seed};
    uint64_t events = bench->samples != 0 ? bench->samples : EVENTS_DEFAULT;
    *trace          = (trace_t){.first = (uint64_t)scene->books * scene->live};
    trace->count    = trace->first + (events < CHUNK ? CHUNK : events / CHUNK * CHUNK);
    trace->events   = malloc(trace->count * sizeof *trace->events);
    mill.live       = calloc(scene->books, sizeof *mill.live);
    mill.makers     = calloc((size_t)scene->books * scene->orders_max, sizeof *mill.makers);
    err_t err       = ours_open(&mill.ours, scene);
    if (err == ERR_OK && (trace->events == NULL || mill.live == NULL || mill.makers == NULL)) {
        err = err_set(ERR_IO, "no memory for a trace of %llu events", (unsigned long long)trace->count);
    }
    for (uint32_t i = 0; err == ERR_OK && i < scene->books; i++) {
        mill.live[i].middle = MIDDLE;
    }
    for (uint64_t i = 0; err == ERR_OK && i < trace->count; i++) {
        const bool     fill    = i < trace->first;
        const uint32_t book    = (uint32_t)(fill ? i % scene->books : bench_random(&mill.seed) % scene->books);
        mill.live[book].middle = draw_middle(scene, mill.live[book].middle, &mill.seed, fill ? 0 : i - trace->first,
                                             trace->count - trace->first);
        if (i == trace->first) {
            mill.trades = mill.stopped = 0;
            memset(mill.count, 0, sizeof mill.count);
        }
        trace->events[i] = fill ? draw_add(&mill, book) : draw_event(&mill, book);
        mill_play(&mill, &trace->events[i]);
        mill.resting += fill ? 0 : mill.live[book].count;
    }
    if (err == ERR_OK) {
        const double n = (double)(trace->count - trace->first);
        level_t      levels[4096];
        uint32_t     at = clob_levels(ours_book(&mill.ours, 0), SIDE_BUY, levels, 4096);
        at += clob_levels(ours_book(&mill.ours, 0), SIDE_SELL, levels, 4096);
        bench_note(bench,
                   "%s: %.1f %% add, %.1f %% cancel, %.1f %% take; %.2f trades a take, %llu stopped by self-trade "
                   "prevention; %.0f orders rest on average, %u levels at the end",
                   scene->name, 100 * (double)mill.count[ORDERS_ADD] / n, 100 * (double)mill.count[ORDERS_CANCEL] / n,
                   100 * (double)mill.count[ORDERS_TAKE] / n,
                   (double)mill.trades / (double)(mill.count[ORDERS_TAKE] + (mill.count[ORDERS_TAKE] == 0)),
                   (unsigned long long)mill.stopped, (double)mill.resting / n, at);
    }
    ours_close(&mill.ours);
    free(mill.live);
    free(mill.makers);
    return err;
}

/* ---- rounds -------------------------------------------------------------------------------------------------------- */

typedef struct entry { /* one implementation over all rounds */
    bench_series_t chunks;
    uint64_t       sum;
} entry_t;

typedef void run_fn(void *books, const orders_event_t *events, uint32_t n, orders_out_t *out);

/* The reports since the last call. */
static uint64_t fold(const orders_out_t *out, uint64_t from, uint64_t sum)
{
    for (uint64_t i = from; i < out->count; i++) {
        uint64_t words[sizeof(orders_report_t) / 8];
        memcpy(words, &out->ring[i % ORDERS_RING], sizeof words);
        for (unsigned k = 0; k < sizeof words / sizeof words[0]; k++) {
            sum = (sum ^ words[k]) * 0x9e3779b97f4a7c15u;
        }
    }
    return sum;
}

static uint64_t play(bench_t *bench, const trace_t *trace, void *books, run_fn *run, bench_series_t *chunks)
{
    static orders_out_t out;
    uint64_t            sum = 0;
    out.seq = out.count = 0;
    for (uint64_t i = 0; i < trace->count;) {
        const uint64_t left  = (i < trace->first ? trace->first : trace->count) - i;
        const uint32_t n     = left < CHUNK ? (uint32_t)left : CHUNK;
        const uint64_t from  = out.count;
        const uint64_t begin = bench_begin();
        run(books, &trace->events[i], n, &out);
        const uint64_t ticks = bench_end() - begin;
        sum                  = fold(&out, from, sum);
        if (i >= trace->first) {
            bench_chunk(bench, chunks, ticks, n);
        }
        i += n;
    }
    return sum;
}

/* Each event timed by itself: the tail. */
static void play_singles(bench_t *bench, const trace_t *trace, ours_t *ours, bench_series_t *singles)
{
    static orders_out_t out;
    out.seq = out.count = 0;
    for (uint64_t i = 0; i < trace->count; i++) {
        const uint64_t begin = bench_begin();
        ours_event(ours, &trace->events[i], &out);
        const uint64_t ticks = bench_end() - begin;
        if (i >= trace->first) {
            bench_single(bench, singles, ticks);
        }
    }
}

static void report(bench_t *bench, const scene_t *scene, const char *what, bench_series_t *series, uint64_t n,
                   uint64_t sum, size_t bytes, bool peer)
{
    char name[64];
    snprintf(name, sizeof name, "%s %s", scene->name, what);
    bench_report(bench, &(bench_result_t){.name     = name,
                                          .unit     = "ns",
                                          .regime   = "single",
                                          .on       = {"64-bit ids", "reports", "self-trade prevention"},
                                          .series   = series,
                                          .n        = n,
                                          .checksum = sum,
                                          .bytes    = (uint32_t)bytes,
                                          .peer     = peer});
}

static err_t run_ours(bench_t *bench, const scene_t *scene, const trace_t *trace, entry_t *lane, double *tail)
{
    bench_series_t singles = {0};
    err_t          err     = ERR_OK;
    ours_t         ours    = {0};
    for (uint32_t round = 0; round <= ROUNDS && err == ERR_OK; round++) {
        err = ours_open(&ours, scene);
        if (err == ERR_OK && round == ROUNDS) {
            play_singles(bench, trace, &ours, &singles);
            report(bench, scene, "ours", &lane->chunks, ROUNDS * (trace->count - trace->first), lane->sum, ours.bytes,
                   false);
            report(bench, scene, "ours, one by one", &singles, 0, 0, ours.bytes, false);
        } else if (err == ERR_OK) {
            lane->sum = play(bench, trace, &ours, ours_run, &lane->chunks);
        }
        ours_close(&ours);
    }
    *tail = bench_percentile(&singles, 0.99);
    bench_free(&singles);
    return err;
}

/* The same by batches, where books are many. */
static err_t run_batches(bench_t *bench, const scene_t *scene, const trace_t *trace, uint64_t sum)
{
    entry_t lane  = {0};
    err_t   err   = ERR_OK;
    ours_t  ours  = {0};
    size_t  bytes = 0;
    for (uint32_t round = 0; round < ROUNDS && err == ERR_OK; round++) {
        err   = ours_open(&ours, scene);
        bytes = ours.bytes;
        if (err == ERR_OK) {
            lane.sum = play(bench, trace, &ours, ours_run_batches, &lane.chunks);
            ours_close(&ours);
        }
    }
    if (err == ERR_OK) {
        report(bench, scene, "ours, batches", &lane.chunks, ROUNDS * (trace->count - trace->first), lane.sum, bytes,
               false);
        err = lane.sum == sum ? ERR_OK
                              : err_set(ERR_INTERNAL, "batches differ: checksum %016llx, one by one %016llx",
                                        (unsigned long long)lane.sum, (unsigned long long)sum);
    }
    bench_free(&lane.chunks);
    return err;
}

static err_t run_peers(bench_t *bench, const scene_t *scene, const trace_t *trace, uint64_t sum)
{
    const orders_peer_t *peer = bench_peers_symbol(ORDERS_TABLE);
    err_t                err  = ERR_OK;
    if (peer == NULL) {
        bench_note(bench, "SKIP std::map, boost: no hwal-peers.so with them beside hwal: make deps-bench, bench-peers");
    }
    for (; peer != NULL && peer->name != NULL && err == ERR_OK; peer++) {
        entry_t lane = {0};
        for (uint32_t round = 0; round < PEER_ROUNDS; round++) {
            void *books = peer->open(scene->books);
            lane.sum    = play(bench, trace, books, peer->run, &lane.chunks);
            peer->close(books);
        }
        report(bench, scene, peer->name, &lane.chunks, PEER_ROUNDS * (trace->count - trace->first), lane.sum, 0, true);
        if (lane.sum != sum) {
            err = err_set(ERR_INTERNAL, "%s differs: checksum %016llx, ours is %016llx", peer->name,
                          (unsigned long long)lane.sum, (unsigned long long)sum);
        }
        bench_free(&lane.chunks);
    }
    return err;
}

err_t bench_match(bench_t *bench)
{
    static const scene_t scenes[] = {
        {"match", 1, 9800, 16384, 4096, false},
        {"match crash", 1, 9800, 16384, 65536, true},
        {"match x1000", 1000, 96, 256, 256, false},
        {"match x10000", 10000, 48, 128, 256, false},
    };
    double p50[4] = {0};
    err_t  err    = ERR_OK;
    for (unsigned i = 0; i < sizeof scenes / sizeof scenes[0] && err == ERR_OK; i++) {
        const scene_t *scene = &scenes[i];
        trace_t        trace;
        entry_t        lane = {0};
        double         tail = 0;
        if (scene->books > 1000 && bench->samples != 0 && bench->samples < 10000) {
            bench_note(bench, "%s: not with so few samples", scene->name);
            continue;
        }
        err    = mill_make(bench, scene, &trace);
        err    = err == ERR_OK ? run_ours(bench, scene, &trace, &lane, &tail) : err;
        err    = err == ERR_OK && scene->books > 1 ? run_batches(bench, scene, &trace, lane.sum) : err;
        err    = err == ERR_OK && scene->books == 1 ? run_peers(bench, scene, &trace, lane.sum) : err;
        p50[i] = bench_percentile(&lane.chunks, 0.5);
        if (err == ERR_OK) {
            bench_bar(bench, false, p50[i], 40, "ns/op", "%s, p50 of chunks", scene->name);
            if (i == 0) {
                bench_bar(bench, false, tail, 200, "ns", "%s, p99 of single events", scene->name);
            }
        }
        bench_free(&lane.chunks);
        free(trace.events);
    }
    if (err == ERR_OK) {
        bench_bar(bench, false, p50[1] / p50[0], 1.5, "ratio", "match crash / match");
    }
    return err;
}
