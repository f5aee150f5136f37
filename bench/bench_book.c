/* How long does a level update take, with the best bid and offer read after it, and how far is that from the fastest
 * thing that can do it?
 *
 * Workload  a snapshot of 1000 levels a side, then updates of the mix of PERFORMANCE.md, part 2: ~79 % modify, 10.5 %
 *           insert, 10.5 % delete; distance from the touch 0: 16 %, 1-4: 38 %, 5-19: 32 %, 20-99: 9 %, 100-499: 2 %,
 *           500 and more: 3 %, up to 4999 ticks, so that a third of those lies beyond the book's window. Generated from
 *           the seed; the mix that came out is printed.
 * Peer      flat-bitmap: an array by tick of 2^18 entries a side with a 3-level bitmap, asks mirrored so that the side
 *           is data; no health, no sequence, no check of any kind. It is the floor, written for this.
 * Input     both get what they take in cache: before a chunk is timed, its updates are laid out as messages for the
 *           book and as (side, tick, qty) for the peer, as a ring slot just copied would be. The feed variant packs the
 *           same updates into messages of the sizes seen in captured feeds (median 34 levels, parts of at most 64);
 *           then the best is read once a message by both. Chunks are short, so that all this stays in the first cache.
 * Rounds    the same trace from the same snapshot, each implementation in turn, in changing order. */
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "core/book/book.h"

#define TICKS (1u << 18) /* of the flat array */
#define TICK_PX 10
#define MID (TICKS / 2)
#define SNAPSHOT_LEVELS 1000u
#define CHUNK 200u
#define ROUNDS 15u
#define TOP_LEVELS 20u

typedef struct step { /* one level update of the trace */
    uint32_t side;    /* 0 bid, 1 ask */
    int32_t  tick;
    int64_t  qty;
} step_t;

typedef struct trace {
    step_t  *step;
    uint8_t *message_end; /* 1: the feed variant ends a message part after this step; 2: and the venue's message too */
    uint64_t count;
} trace_t;

/* ---- the peer ---------------------------------------------------------------------------------------------------- */

typedef struct flat_side {
    int64_t  qty[TICKS];
    uint64_t bits0[TICKS / 64];
    uint64_t bits1[TICKS / 4096];
    uint64_t bits2;
    int64_t  top; /* position of the best, -1 = none; positions of asks are mirrored */
} flat_side_t;

static int64_t flat_highest(const flat_side_t *f)
{
    if (f->bits2 == 0) {
        return -1;
    }
    const int64_t w1 = 63 - __builtin_clzll(f->bits2);
    const int64_t w0 = (w1 << 6) + 63 - __builtin_clzll(f->bits1[w1]);
    return (w0 << 6) + 63 - __builtin_clzll(f->bits0[w0]);
}

static inline void flat_set(flat_side_t *sides, uint32_t side, int64_t tick, int64_t qty)
{
    flat_side_t   *f   = &sides[side];
    const uint64_t pos = (uint64_t)(tick ^ -(int64_t)side) & (TICKS - 1);
    const int64_t  old = f->qty[pos];
    f->qty[pos]        = qty;
    uint64_t      *w0  = &f->bits0[pos >> 6];
    const uint64_t was = *w0;
    const uint64_t now = was ^ (uint64_t)((old == 0) != (qty == 0)) << (pos & 63);
    *w0                = now;
    if (__builtin_expect((was == 0) != (now == 0), 0)) {
        uint64_t *w1 = &f->bits1[pos >> 12];
        *w1          = now != 0 ? *w1 | (uint64_t)1 << (pos >> 6 & 63) : *w1 & ~((uint64_t)1 << (pos >> 6 & 63));
        f->bits2     = *w1 != 0 ? f->bits2 | (uint64_t)1 << (pos >> 12) : f->bits2 & ~((uint64_t)1 << (pos >> 12));
    }
    if (__builtin_expect(((int64_t)pos > f->top) & (qty != 0), 0)) {
        f->top = (int64_t)pos;
    }
    if (__builtin_expect(((int64_t)pos == f->top) & (qty == 0), 0)) {
        f->top = flat_highest(f);
    }
}

static void flat_clear(flat_side_t *sides)
{
    memset(sides, 0, 2 * sizeof *sides);
    sides[0].top = -1;
    sides[1].top = -1;
}

/* ---- the trace --------------------------------------------------------------------------------------------------- */

typedef struct mix {
    uint64_t modified, inserted, deleted, best_moved;
} mix_t;

static int64_t draw_distance(uint64_t *seed)
{
    const uint64_t kind = bench_random(seed) % 1000;
    const uint64_t r    = bench_random(seed);
    if (kind < 158) {
        return 0;
    }
    if (kind < 535) {
        return 1 + (int64_t)(r % 4);
    }
    if (kind < 859) {
        return 5 + (int64_t)(r % 15);
    }
    if (kind < 949) {
        return 20 + (int64_t)(r % 80);
    }
    return kind < 972 ? 100 + (int64_t)(r % 400) : 500 + (int64_t)(r % 4500);
}

static int64_t tick_at(uint32_t side, int64_t top, int64_t distance) /* distance below the best of a side */
{
    return ((top - distance) ^ -(int64_t)side) & (TICKS - 1);
}

/* The next update, given the book as it stands: never crossing, never emptying a side. */
static step_t draw_step(const flat_side_t *sides, uint64_t *seed)
{
    const uint32_t     side  = (uint32_t)(bench_random(seed) & 1);
    const flat_side_t *f     = &sides[side];
    const uint64_t     luck  = bench_random(seed) % 1000;
    const int64_t      qty   = 1 + (int64_t)(bench_random(seed) % 100000);
    const int64_t      other = tick_at(side ^ 1, sides[side ^ 1].top, 0);
    const int64_t      best  = tick_at(side, f->top, 0);
    int64_t            away  = draw_distance(seed);
    if (luck < 9 && llabs(other - best) > 1) {
        away = -1; /* a better price */
    }
    const int64_t tick   = tick_at(side, f->top, away);
    const bool    exists = f->qty[(f->top - away) & (TICKS - 1)] != 0;
    const bool    goes   = exists && (away == 0 ? luck >= 973 : luck >= 860);
    return (step_t){.side = side, .tick = (int32_t)tick, .qty = goes ? 0 : qty};
}

static void snapshot_step(uint32_t i, step_t out[2])
{
    out[0] = (step_t){.side = 0, .tick = (int32_t)(MID - 1 - i), .qty = 1000 + i};
    out[1] = (step_t){.side = 1, .tick = (int32_t)(MID + 1 + i), .qty = 1000 + i};
}

static void flat_snapshot(flat_side_t *sides)
{
    flat_clear(sides);
    for (uint32_t i = 0; i < SNAPSHOT_LEVELS; i++) {
        step_t steps[2];
        snapshot_step(i, steps);
        flat_set(sides, 0, steps[0].tick, steps[0].qty);
        flat_set(sides, 1, steps[1].tick, steps[1].qty);
    }
}

static mix_t trace_fill(trace_t *trace, flat_side_t *sides, uint64_t seed)
{
    /* levels of one venue message: p50 34, p90 142, p99 611 */
    static const uint32_t sizes[] = {4, 6, 10, 14, 18, 22, 26, 30, 34, 34, 38, 44, 52, 60, 70, 84, 100, 142, 300, 611};
    mix_t                 mix     = {0};
    uint32_t              left    = 34;
    uint32_t              part    = 0;
    flat_snapshot(sides);
    for (uint64_t i = 0; i < trace->count; i++) {
        const step_t   step = draw_step(sides, &seed);
        const uint64_t pos  = (uint64_t)(step.tick ^ -(int32_t)step.side) & (TICKS - 1);
        const int64_t  old  = sides[step.side].qty[pos];
        const int64_t  top  = sides[step.side].top;
        mix.modified += old != 0 && step.qty != 0;
        mix.inserted += old == 0;
        mix.deleted += step.qty == 0;
        flat_set(sides, step.side, step.tick, step.qty);
        mix.best_moved += sides[step.side].top != top;
        trace->step[i] = step;
        left--;
        part++;
        const bool whole      = left == 0 || i + 1 == trace->count || (i + 1) % CHUNK == 0;
        trace->message_end[i] = whole ? 2 : part == BOOK_UPDATE_MAX_LEVELS;
        part                  = trace->message_end[i] != 0 ? 0 : part;
        left                  = whole ? sizes[bench_random(&seed) % (sizeof sizes / sizeof sizes[0])] : left;
    }
    return mix;
}

/* ---- both ways through the trace --------------------------------------------------------------------------------- */

typedef struct wire { /* one message as it lies in a ring slot */
    book_update_t upd;
    level_t       level[BOOK_UPDATE_MAX_LEVELS];
} wire_t;

typedef struct wire_one { /* the same with room for one level: 72 bytes a message */
    book_update_t upd;
    level_t       level;
} wire_one_t;

typedef struct ground { /* what is timed, and what it is fed with */
    const trace_t *trace;
    flat_side_t   *flat;
    book_t        *book;
    uint64_t       rpt_seq;
    step_t         step[CHUNK];
    uint8_t        message_end[CHUNK];
    wire_one_t     one[CHUNK];
    wire_t         part[CHUNK];
} ground_t;

static inline uint64_t fold(uint64_t sum, int64_t bid_px, int64_t bid_qty, int64_t ask_px, int64_t ask_qty)
{
    return (sum + (uint64_t)bid_px * 3 + (uint64_t)bid_qty * 5 + (uint64_t)ask_px * 7 + (uint64_t)ask_qty) *
           0x9e3779b97f4a7c15u;
}

static inline uint64_t fold_flat(uint64_t sum, const flat_side_t *sides)
{
    const int64_t bid = sides[0].top;
    const int64_t ask = sides[1].top;
    return fold(sum, bid * TICK_PX, sides[0].qty[bid], (ask ^ (TICKS - 1)) * TICK_PX, sides[1].qty[ask]);
}

static inline uint64_t fold_book(uint64_t sum, const book_t *book)
{
    int64_t bid_px, bid_qty, ask_px, ask_qty;
    book_best(book, &bid_px, &bid_qty, &ask_px, &ask_qty);
    return fold(sum, bid_px, bid_qty, ask_px, ask_qty);
}

static level_t wire_level(step_t step)
{
    return (level_t){.px = (int64_t)step.tick * TICK_PX, .qty = step.qty};
}

static err_t book_snapshot(ground_t *g)
{
    err_t err = ERR_OK;
    for (uint32_t i = 0; i < SNAPSHOT_LEVELS && err == ERR_OK; i += 25) {
        wire_t w = {.upd = {.flags = BOOK_FLAG_SNAPSHOT, .rpt_seq = ++g->rpt_seq, .bid_count = 25, .ask_count = 25}};
        w.upd.flags |= i == 0 ? BOOK_FLAG_FIRST : 0;
        w.upd.flags |= i + 25 == SNAPSHOT_LEVELS ? BOOK_FLAG_LAST : 0;
        for (uint32_t k = 0; k < 25; k++) {
            step_t steps[2];
            snapshot_step(i + k, steps);
            w.level[k]      = wire_level(steps[0]);
            w.level[25 + k] = wire_level(steps[1]);
        }
        err = book_apply(g->book, &w.upd, w.level, 1);
    }
    return err;
}

/* Each runner lays out its chunk, then is timed over it. Returns ticks; *sum goes on. */
typedef uint64_t (*runner_t)(ground_t *g, uint64_t from, uint64_t *sum);

static uint64_t run_flat_one(ground_t *g, uint64_t from, uint64_t *sum)
{
    memcpy(g->step, g->trace->step + from, sizeof g->step);
    uint64_t       s     = *sum;
    const uint64_t begin = bench_begin();
    for (uint32_t i = 0; i < CHUNK; i++) {
        flat_set(g->flat, g->step[i].side, g->step[i].tick, g->step[i].qty);
        s = fold_flat(s, g->flat);
    }
    const uint64_t ticks = bench_end() - begin;
    *sum                 = s;
    return ticks;
}

static void one_layout(ground_t *g, uint64_t from)
{
    for (uint32_t i = 0; i < CHUNK; i++) {
        const step_t step = g->trace->step[from + i];
        g->one[i]         = (wire_one_t){.upd   = {.flags     = BOOK_FLAG_FIRST | BOOK_FLAG_LAST,
                                                   .rpt_seq   = ++g->rpt_seq,
                                                   .venue_seq = from + i,
                                                   .bid_count = step.side == 0,
                                                   .ask_count = step.side == 1},
                                         .level = wire_level(step)};
    }
}

static uint64_t run_book_one(ground_t *g, uint64_t from, uint64_t *sum)
{
    one_layout(g, from);
    uint64_t       s     = *sum;
    const uint64_t begin = bench_begin();
    for (uint32_t i = 0; i < CHUNK; i++) {
        book_apply(g->book, &g->one[i].upd, &g->one[i].level, (int64_t)i);
        s = fold_book(s, g->book);
    }
    const uint64_t ticks = bench_end() - begin;
    *sum                 = s;
    return ticks;
}

static uint64_t run_flat_feed(ground_t *g, uint64_t from, uint64_t *sum)
{
    memcpy(g->step, g->trace->step + from, sizeof g->step);
    memcpy(g->message_end, g->trace->message_end + from, sizeof g->message_end);
    uint64_t       s     = *sum;
    const uint64_t begin = bench_begin();
    for (uint32_t i = 0; i < CHUNK; i++) {
        flat_set(g->flat, g->step[i].side, g->step[i].tick, g->step[i].qty);
        if (g->message_end[i] == 2) {
            s = fold_flat(s, g->flat);
        }
    }
    const uint64_t ticks = bench_end() - begin;
    *sum                 = s;
    return ticks;
}

/* The chunk's updates as message parts: bids first, in the order of the trace on each side. Returns how many parts. */
static uint32_t feed_parts(ground_t *g, uint64_t from)
{
    uint32_t parts = 0;
    uint32_t flags = BOOK_FLAG_FIRST;
    for (uint32_t begin = 0, end = 0; begin < CHUNK; begin = end) {
        wire_t *w = &g->part[parts++];
        w->upd    = (book_update_t){.flags = flags, .rpt_seq = ++g->rpt_seq, .venue_seq = from + begin};
        while (g->trace->message_end[from + end++] == 0) {
        }
        for (uint32_t side = 0; side < 2; side++) {
            for (uint32_t i = begin; i < end; i++) {
                if (g->trace->step[from + i].side == side) {
                    w->level[w->upd.bid_count + w->upd.ask_count] = wire_level(g->trace->step[from + i]);
                    w->upd.bid_count                              = (uint16_t)(w->upd.bid_count + (side == 0));
                    w->upd.ask_count                              = (uint16_t)(w->upd.ask_count + (side == 1));
                }
            }
        }
        const bool whole = g->trace->message_end[from + end - 1] == 2;
        w->upd.flags |= whole ? BOOK_FLAG_LAST : 0;
        flags = whole ? BOOK_FLAG_FIRST : 0;
    }
    return parts;
}

static uint64_t run_book_feed(ground_t *g, uint64_t from, uint64_t *sum)
{
    const uint32_t parts = feed_parts(g, from);
    uint64_t       s     = *sum;
    const uint64_t begin = bench_begin();
    for (uint32_t i = 0; i < parts; i++) {
        book_apply(g->book, &g->part[i].upd, g->part[i].level, (int64_t)i);
        if (g->part[i].upd.flags & BOOK_FLAG_LAST) {
            s = fold_book(s, g->book);
        }
    }
    const uint64_t ticks = bench_end() - begin;
    *sum                 = s;
    return ticks;
}

/* ---- rounds ------------------------------------------------------------------------------------------------------ */

typedef struct contender {
    const char    *name;
    runner_t       run;
    bool           peer;
    bench_series_t chunks; /* ns a level, all rounds */
    double         round_p50;
    uint64_t       sum;
} contender_t;

static err_t run_round(const bench_t *bench, ground_t *g, contender_t *lane)
{
    flat_snapshot(g->flat);
    const err_t err = book_snapshot(g);
    if (err != ERR_OK) {
        return err_wrap(err, "snapshot");
    }
    bench_series_t round = {0};
    lane->sum            = 0;
    for (uint64_t from = 0; from < g->trace->count; from += CHUNK) {
        const uint64_t ticks = lane->run(g, from, &lane->sum);
        bench_add(&lane->chunks, bench_chunk(bench, &round, ticks, CHUNK));
    }
    lane->round_p50 = bench_percentile(&round, 0.5);
    bench_free(&round);
    return lane->peer || book_health(g->book) == FEED_LIVE ? ERR_OK
                                                           : err_set(ERR_INTERNAL, "%s: the book broke", lane->name);
}

static err_t compare_pair(bench_t *bench, ground_t *g, const char *ratio_name, contender_t pair[2])
{
    bench_series_t ratio = {0};
    err_t          err   = ERR_OK;
    for (uint32_t round = 0; round < ROUNDS + 1 && err == ERR_OK; round++) {
        const uint32_t first = round & 1;
        err                  = run_round(bench, g, &pair[first]);
        err                  = err != ERR_OK ? err : run_round(bench, g, &pair[first ^ 1]);
        if (err == ERR_OK && pair[0].sum != pair[1].sum) {
            err = err_set(ERR_INTERNAL, "%s and %s differ: checksums %016llx, %016llx", pair[0].name, pair[1].name,
                          (unsigned long long)pair[0].sum, (unsigned long long)pair[1].sum);
        }
        if (round == 0) { /* warm-up */
            pair[0].chunks.count = 0;
            pair[1].chunks.count = 0;
        } else {
            bench_add(&ratio, pair[0].round_p50 / pair[1].round_p50);
        }
    }
    if (err == ERR_OK) {
        for (uint32_t i = 0; i < 2; i++) {
            bench_report(bench, &(bench_result_t){.name     = pair[i].name,
                                                  .unit     = "ns",
                                                  .regime   = "single",
                                                  .on       = {pair[i].peer ? "nothing" : "every check"},
                                                  .series   = &pair[i].chunks,
                                                  .n        = pair[i].chunks.count * CHUNK,
                                                  .checksum = pair[i].sum,
                                                  .bytes    = sizeof(level_t),
                                                  .peer     = pair[i].peer});
        }
        bench_report(bench, &(bench_result_t){.name     = ratio_name,
                                              .unit     = "ratio",
                                              .regime   = "single",
                                              .on       = {"every check"},
                                              .series   = &ratio,
                                              .checksum = pair[0].sum});
    }
    bench_free(&pair[0].chunks);
    bench_free(&pair[1].chunks);
    bench_free(&ratio);
    return err;
}

/* One message at a time, for the tail. */
static err_t run_singles(const bench_t *bench, ground_t *g)
{
    bench_series_t single = {0};
    uint64_t       sum    = 0;
    err_t          err    = book_snapshot(g);
    for (uint64_t from = 0; from < g->trace->count && err == ERR_OK; from += CHUNK) {
        one_layout(g, from);
        for (uint32_t i = 0; i < CHUNK && err == ERR_OK; i++) {
            const uint64_t begin = bench_begin();
            err                  = book_apply(g->book, &g->one[i].upd, &g->one[i].level, (int64_t)i);
            bench_single(bench, &single, bench_end() - begin);
            sum = fold_book(sum, g->book);
        }
    }
    if (err == ERR_OK) {
        bench_report(bench, &(bench_result_t){.name     = "apply-1-single",
                                              .unit     = "ns",
                                              .regime   = "single",
                                              .on       = {"every check"},
                                              .series   = &single,
                                              .checksum = sum,
                                              .bytes    = sizeof(wire_one_t)});
    }
    bench_free(&single);
    return err;
}

/* The 20 best levels of both sides after each complete venue message. */
static err_t run_top(const bench_t *bench, ground_t *g)
{
    bench_series_t top = {0};
    level_t        bids[TOP_LEVELS], asks[TOP_LEVELS];
    uint64_t       sum = 0;
    err_t          err = book_snapshot(g);
    for (uint64_t from = 0; from < g->trace->count && err == ERR_OK; from += CHUNK) {
        const uint32_t parts = feed_parts(g, from);
        for (uint32_t i = 0; i < parts && err == ERR_OK; i++) {
            err = book_apply(g->book, &g->part[i].upd, g->part[i].level, (int64_t)i);
            if ((g->part[i].upd.flags & BOOK_FLAG_LAST) != 0) {
                uint32_t       bid_count, ask_count;
                const uint64_t begin = bench_begin();
                book_top(g->book, TOP_LEVELS, bids, &bid_count, asks, &ask_count);
                bench_single(bench, &top, bench_end() - begin);
                for (uint32_t k = 0; k < TOP_LEVELS; k++) {
                    sum = fold(sum, bids[k].px, bids[k].qty, asks[k].px, asks[k].qty);
                }
            }
        }
    }
    if (err == ERR_OK) {
        bench_report(bench, &(bench_result_t){.name     = "top-20",
                                              .unit     = "ns",
                                              .regime   = "single",
                                              .on       = {"both sides"},
                                              .series   = &top,
                                              .checksum = sum,
                                              .bytes    = sizeof bids + sizeof asks});
    }
    bench_free(&top);
    return err;
}

static void note_mix(const bench_t *bench, const trace_t *trace, const mix_t *mix)
{
    const double all = (double)trace->count / 100;
    bench_note(bench,
               "%llu updates a round after %u + %u levels: modify %.1f %%, insert %.1f %%, delete %.1f %%, best moved "
               "%.2f %%; %u rounds",
               (unsigned long long)trace->count, SNAPSHOT_LEVELS, SNAPSHOT_LEVELS, (double)mix->modified / all,
               (double)mix->inserted / all, (double)mix->deleted / all, (double)mix->best_moved / all, ROUNDS);
    bench_note(bench,
               "apply-1: a message a level, best read after each; apply-feed: messages as captured feeds have them");
}

static err_t run_all(bench_t *bench, ground_t *g)
{
    contender_t one[2]  = {{.name = "apply-1", .run = run_book_one},
                           {.name = "flat-bitmap", .run = run_flat_one, .peer = true}};
    contender_t feed[2] = {{.name = "apply-feed", .run = run_book_feed},
                           {.name = "flat-bitmap-feed", .run = run_flat_feed, .peer = true}};
    err_t       err     = compare_pair(bench, g, "apply-1/flat", one);
    err                 = err != ERR_OK ? err : compare_pair(bench, g, "apply-feed/flat", feed);
    err                 = err != ERR_OK ? err : run_singles(bench, g);
    return err != ERR_OK ? err : run_top(bench, g);
}

static book_t *book_make(void)
{
    const book_cfg_t       cfg  = {0};
    const tick_band_t      band = {0, TICK_PX};
    const instrument_def_t def  = {.instrument_id = 1,
                                   .venue_id      = 1,
                                   .kind          = INSTRUMENT_LINEAR,
                                   .px_exp        = 2,
                                   .qty_exp       = 3,
                                   .money_exp     = 2,
                                   .settle_ccy    = ccy_pack("USD"),
                                   .lot           = 1,
                                   .mult          = 1};
    instrument_t           ins;
    void                  *mem = aligned_alloc(book_align(), book_footprint(&cfg));
    return mem != NULL && instrument_init(&ins, &def, "BENCH", &band, 1) == ERR_OK ? book_new(mem, &cfg, &ins) : NULL;
}

err_t bench_book(bench_t *bench)
{
    const uint64_t asked = bench->samples != 0 ? bench->samples : 200000;
    trace_t        trace = {.count = (asked + CHUNK - 1) / CHUNK * CHUNK};
    trace.step           = malloc(trace.count * sizeof *trace.step);
    trace.message_end    = malloc(trace.count);
    flat_side_t *flat    = malloc(2 * sizeof *flat);
    ground_t    *g       = calloc(1, sizeof *g);
    book_t      *book    = book_make();
    err_t        err     = ERR_OK;
    if (trace.step == NULL || trace.message_end == NULL || flat == NULL || g == NULL || book == NULL) {
        err = err_set(ERR_LIMIT, "no memory for %llu updates", (unsigned long long)trace.count);
    } else {
        const mix_t mix = trace_fill(&trace, flat, bench->seed);
        note_mix(bench, &trace, &mix);
        g->trace = &trace;
        g->flat  = flat;
        g->book  = book;
        err      = run_all(bench, g);
    }
    free(trace.step);
    free(trace.message_end);
    free(flat);
    free(g);
    free(book);
    return err;
}
