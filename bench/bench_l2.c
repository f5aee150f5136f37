/* How long does an update of a price level take, with the best bid and offer read after it; how far is that from the
 * fastest thing that can do it; what does publication add; and what do many books cost, which layout suits them?
 *
 * Workload  a snapshot of 1000 levels a side, then updates of the mix of PERFORMANCE.md, part 2: ~79 % modify, 10.5 %
 *           insert, 10.5 % delete; distance from the touch 0: 16 %, 1-4: 38 %, 5-19: 32 %, 20-99: 9 %, 100-499: 2 %,
 *           500 and more: 3 %, up to 4999 ticks. Generated from the seed; the mix that came out is printed.
 * Floor     flat-bitmap: an array by tick of 2^18 entries a side with a 3-level bitmap, asks mirrored so that the side
 *           is data; no health, no sequence, no check of any kind. Written for this.
 * Peers     ordered containers of other libraries (bench/peers/levels.cc) and hftbacktest (bench/peers/levels_hftbacktest.py),
 *           on the same updates with the same checksum; those that are not installed are named.
 * Input     all get what they take in cache: before a chunk is timed, its updates are laid out as messages for the
 *           book and as (side, tick, qty) for the others, as a ring slot just copied would be. The feed variant packs the
 *           same updates into messages of the sizes seen in captured feeds (median 34 levels, parts of at most 64);
 *           then the best is read once a message by both. Chunks are short, so that all this stays in the first cache.
 * Publish   messages of 22 levels: applied, then the best 20 of both sides written into a record behind its sequence
 *           lock, as tools/publish.c does: the whole way. After each chunk the record is compared with the book.
 * Books     each message to a random one of 1, 100, 1000, 10,000 books, each with the snapshot in it; by size of window
 *           and far table. Here the message is in cache and the book is not.
 * Rounds    the same trace from the same snapshot, each implementation in turn, in changing order. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/peers/levels.h"
#include "core/book/book.h"
#include "hwal_fbs.h"
#include "ipc/records.h"

#define TICKS (1u << 18) /* of the flat array */
#define TICK_PX 10
#define MID (TICKS / 2)
#define SNAPSHOT_LEVELS 1000u
#define CHUNK 220u
#define PUBLISHED_LEVELS 22u /* of a message; a chunk is ten */
#define ROUNDS 15u
#define TOP_LEVELS 20u

typedef levels_step_t step_t; /* one update of the trace */

typedef struct trace {
    step_t  *step;
    uint8_t *message_end; /* 1: the feed variant ends a message part after this step; 2: and the venue's message too */
    uint8_t *even_end;    /* the same for messages of PUBLISHED_LEVELS */
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
        trace->even_end[i]    = (i + 1) % PUBLISHED_LEVELS == 0 ? 2 : 0;
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

    const levels_peer_t *levels;

    records_writer_t records;

    step_t     step[CHUNK];
    uint8_t    message_end[CHUNK];
    wire_one_t one[CHUNK];
    wire_t     part[CHUNK];
} ground_t;

static inline uint64_t fold_flat(uint64_t sum, const flat_side_t *sides)
{
    const int64_t bid = sides[0].top;
    const int64_t ask = sides[1].top;
    return levels_fold(sum, bid * TICK_PX, sides[0].qty[bid], (ask ^ (TICKS - 1)) * TICK_PX, sides[1].qty[ask]);
}

static inline uint64_t fold_book(uint64_t sum, const book_t *book)
{
    int64_t bid_px, bid_qty, ask_px, ask_qty;
    book_best(book, &bid_px, &bid_qty, &ask_px, &ask_qty);
    return levels_fold(sum, bid_px, bid_qty, ask_px, ask_qty);
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

static uint64_t run_levels_one(ground_t *g, uint64_t from, uint64_t *sum)
{
    memcpy(g->step, g->trace->step + from, sizeof g->step);
    const uint64_t begin = bench_begin();
    *sum                 = g->levels->run(g->step, CHUNK, TICK_PX, *sum);
    return bench_end() - begin;
}

/* The chunk's updates as message parts: bids first, in the order of the trace on each side. Returns how many parts. */
static uint32_t feed_parts(ground_t *g, const uint8_t *message_end, uint64_t from)
{
    uint32_t parts = 0;
    uint32_t flags = BOOK_FLAG_FIRST;
    for (uint32_t begin = 0, end = 0; begin < CHUNK; begin = end) {
        wire_t *w = &g->part[parts++];
        w->upd    = (book_update_t){.flags = flags, .rpt_seq = ++g->rpt_seq, .venue_seq = from + begin};
        while (message_end[from + end++] == 0) {
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
        const bool whole = message_end[from + end - 1] == 2;
        w->upd.flags |= whole ? BOOK_FLAG_LAST : 0;
        flags = whole ? BOOK_FLAG_FIRST : 0;
    }
    return parts;
}

static uint64_t run_book_feed(ground_t *g, uint64_t from, uint64_t *sum)
{
    const uint32_t parts = feed_parts(g, g->trace->message_end, from);
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

static void levels_snapshot(const levels_peer_t *levels)
{
    step_t steps[2 * SNAPSHOT_LEVELS];
    for (uint32_t i = 0; i < SNAPSHOT_LEVELS; i++) {
        snapshot_step(i, &steps[2 * i]);
    }
    levels->load(steps, 2 * SNAPSHOT_LEVELS);
}

static err_t run_round(const bench_t *bench, ground_t *g, contender_t *lane)
{
    if (g->levels != NULL) {
        levels_snapshot(g->levels);
    }
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

static void report_lane(const bench_t *bench, const contender_t *lane)
{
    bench_report(bench, &(bench_result_t){.name     = lane->name,
                                          .unit     = "ns",
                                          .regime   = "single",
                                          .on       = {lane->peer ? "nothing" : "every check"},
                                          .series   = &lane->chunks,
                                          .n        = lane->chunks.count * CHUNK,
                                          .checksum = lane->sum,
                                          .bytes    = sizeof(level_t),
                                          .peer     = lane->peer});
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
        report_lane(bench, &pair[0]);
        report_lane(bench, &pair[1]);
        bench_bar(bench, false, bench_percentile(&ratio, 0.5), 1.25, "", "%s", ratio_name);
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

static book_t *book_make(void *mem, const book_cfg_t *cfg)
{
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
    return instrument_init(&ins, &def, "BENCH", &band, 1) == ERR_OK ? book_new(mem, cfg, &ins) : NULL;
}

/* ---- publication ------------------------------------------------------------------------------------------------- */

#define RECORD_STRIDE 768u /* 80 bytes and 40 levels behind the head of a slot */
#define RECORD_PLACES 64u

static hwal_book_update_msg_slot_t book_record_begin(records_writer_t *records, uint32_t place)
{
    hwal_book_update_msg_slot_t slot;
    hwal_book_update_msg_reserve(records_begin(records, place), RECORD_STRIDE - RING_SLOT_HEAD, &slot);
    return slot;
}

static void book_record_end(records_writer_t *records, uint32_t place, const hwal_book_update_msg_slot_t *slot,
                            const book_t *book)
{
    const uint32_t count  = (uint32_t)slot->body->bid_count + slot->body->ask_count;
    slot->body->rpt_seq   = book_rpt_seq(book);
    slot->body->venue_seq = book_venue_seq(book);
    records_end(records, place,
                &(ring_meta_t){.len = (uint32_t)hwal_book_update_msg_commit(slot, count), .type = MSG_BOOK_UPDATE});
}

static void publish_walk(records_writer_t *records, uint32_t place, const book_t *book)
{
    const hwal_book_update_msg_slot_t slot = book_record_begin(records, place);
    const uint32_t                    bids = book_levels(book, SIDE_BUY, slot.levels, TOP_LEVELS);
    const uint32_t                    asks = book_levels(book, SIDE_SELL, slot.levels + bids, TOP_LEVELS);
    *slot.body = (book_update_t){.instrument_id = 1, .bid_count = (uint16_t)bids, .ask_count = (uint16_t)asks};
    book_record_end(records, place, &slot, book);
}

/* What tools/publish.c does after a message: walk the book only when it must. True when it did. */
static bool publish_book(records_writer_t *records, uint32_t place, const book_t *book, const wire_t *w)
{
    const hwal_book_update_msg_view_t shown = hwal_book_update_msg_view(records_place(records, place) + 1);
    const uint32_t                    bids  = shown.body->bid_count;
    const uint32_t                    asks  = shown.body->ask_count;
    if (book_within(&w->upd, w->level, bids < TOP_LEVELS ? INT64_MIN : shown.levels[bids - 1].px,
                    asks < TOP_LEVELS ? INT64_MAX : shown.levels[bids + asks - 1].px)) {
        publish_walk(records, place, book);
        return true;
    }
    const hwal_book_update_msg_slot_t slot = book_record_begin(records, place);
    book_record_end(records, place, &slot, book);
    return false;
}

static err_t record_check(const records_writer_t *records, uint32_t place, const book_t *book)
{
    const hwal_book_update_msg_view_t shown = hwal_book_update_msg_view(records_place(records, place) + 1);
    level_t                           bids[TOP_LEVELS], asks[TOP_LEVELS];
    uint32_t                          bid_count, ask_count;
    book_top(book, TOP_LEVELS, bids, &bid_count, asks, &ask_count);
    const bool same = shown.body->bid_count == bid_count && shown.body->ask_count == ask_count &&
                      memcmp(shown.levels, bids, bid_count * sizeof *bids) == 0 &&
                      memcmp(shown.levels + bid_count, asks, ask_count * sizeof *asks) == 0;
    return same ? ERR_OK : err_set(ERR_INTERNAL, "the record of place %u differs from its book", place);
}

/* Messages of 22 levels: apply and publish, per level; and the publication alone. */
static err_t run_publish(bench_t *bench, ground_t *g)
{
    bench_series_t both   = {0};
    bench_series_t apply  = {0};
    err_t          err    = ERR_OK;
    uint64_t       walks  = 0;
    uint64_t       passed = 0;
    for (uint32_t round = 0; round < 2 * ROUNDS && err == ERR_OK; round++) {
        const bool publish = round % 2 == 0;
        err                = book_snapshot(g);
        publish_walk(&g->records, 0, g->book);
        for (uint64_t from = 0; from < g->trace->count && err == ERR_OK; from += CHUNK) {
            const uint32_t parts = feed_parts(g, g->trace->even_end, from);
            const uint64_t begin = bench_begin();
            for (uint32_t i = 0; i < parts; i++) {
                book_apply(g->book, &g->part[i].upd, g->part[i].level, (int64_t)i);
                if (publish) {
                    walks += publish_book(&g->records, 0, g->book, &g->part[i]);
                }
            }
            bench_chunk(bench, publish ? &both : &apply, bench_end() - begin, CHUNK);
            passed += publish ? parts : 0;
            err = publish ? record_check(&g->records, 0, g->book) : ERR_OK;
        }
    }
    if (err == ERR_OK) {
        bench_note(bench, "publication walked the book after %.1f %% of the messages of %u levels",
                   100.0 * (double)walks / (double)passed, PUBLISHED_LEVELS);
        bench_report(bench, &(bench_result_t){.name   = "apply-22",
                                              .unit   = "ns",
                                              .regime = "single",
                                              .on     = {"every check"},
                                              .series = &apply,
                                              .n      = apply.count * CHUNK,
                                              .bytes  = sizeof(level_t)});
        bench_report(bench, &(bench_result_t){.name     = "apply-22 and publish",
                                              .unit     = "ns",
                                              .regime   = "single",
                                              .on       = {"every check", "top 20 a side, behind its lock"},
                                              .series   = &both,
                                              .n        = both.count * CHUNK,
                                              .checksum = walks,
                                              .bytes    = sizeof(level_t)});
        bench_bar(bench, false, bench_percentile(&both, 0.5), 12, "ns", "22 levels applied and published, a level");
    }
    bench_free(&both);
    bench_free(&apply);
    return err;
}

/* A record with the best bid and offer alone, to each of 64 places in turn. */
static err_t run_best(bench_t *bench, ground_t *g)
{
    bench_series_t best = {0};
    uint64_t       sum  = 0;
    err_t          err  = book_snapshot(g);
    for (uint64_t from = 0; from < g->trace->count && err == ERR_OK; from += CHUNK) {
        one_layout(g, from);
        for (uint32_t i = 0; i < CHUNK && err == ERR_OK; i++) {
            err = book_apply(g->book, &g->one[i].upd, &g->one[i].level, 1);
        }
        const uint64_t begin = bench_begin();
        for (uint32_t i = 0; i < CHUNK; i++) {
            const uint32_t      place = i % RECORD_PLACES;
            hwal_top_msg_slot_t slot;
            hwal_top_msg_reserve(records_begin(&g->records, place), RECORD_STRIDE - RING_SLOT_HEAD, &slot);
            slot.body->instrument_id = place + 1;
            slot.body->venue_seq     = book_venue_seq(g->book);
            book_best(g->book, &slot.body->bid_px, &slot.body->bid_qty, &slot.body->ask_px, &slot.body->ask_qty);
            records_end(&g->records, place, &(ring_meta_t){.len = 16 + sizeof(top_t), .type = MSG_TOP});
        }
        bench_chunk(bench, &best, bench_end() - begin, CHUNK);
        sum = fold_book(sum, g->book);
    }
    if (err == ERR_OK) {
        bench_report(bench, &(bench_result_t){.name     = "best-only record",
                                              .unit     = "ns",
                                              .regime   = "single",
                                              .on       = {"behind its lock"},
                                              .series   = &best,
                                              .n        = best.count * CHUNK,
                                              .checksum = sum,
                                              .bytes    = sizeof(top_t)});
        bench_bar(bench, false, bench_percentile(&best, 0.5), 5, "ns", "best-only record");
    }
    bench_free(&best);
    return err;
}

/* ---- many books -------------------------------------------------------------------------------------------------- */

#define CROWD_BYTES_MAX ((size_t)3 << 30)

typedef struct crowd { /* books side by side in one block, each with a record */
    uint32_t         count;
    size_t           bytes; /* of one */
    uint8_t         *block;
    uint32_t        *taken;   /* by each: steps of the trace */
    uint64_t        *rpt_seq; /* of each */
    void            *places;
    records_writer_t records;
    uint32_t         chosen[CHUNK];
} crowd_t;

static book_t *crowd_book(const crowd_t *crowd, uint32_t i)
{
    return (book_t *)(void *)(crowd->block + i * crowd->bytes);
}

static void crowd_free(crowd_t *crowd)
{
    free(crowd->block);
    free(crowd->taken);
    free(crowd->rpt_seq);
    free(crowd->places);
}

static err_t crowd_make(crowd_t *crowd, ground_t *g, uint32_t count, const book_cfg_t *cfg)
{
    const size_t places = records_footprint(count, RECORD_STRIDE);
    *crowd              = (crowd_t){.count = count, .bytes = book_footprint(cfg)};
    crowd->block        = aligned_alloc(book_align(), count * crowd->bytes);
    crowd->taken        = calloc(count, sizeof *crowd->taken);
    crowd->rpt_seq      = calloc(count, sizeof *crowd->rpt_seq);
    crowd->places       = aligned_alloc(128, (places + 127) / 128 * 128);
    if (crowd->block == NULL || crowd->taken == NULL || crowd->rpt_seq == NULL || crowd->places == NULL) {
        return err_set(ERR_LIMIT, "no memory for %u books of %zu bytes", count, crowd->bytes);
    }
    err_t          err = records_writer_join(&crowd->records, records_new(crowd->places, count, RECORD_STRIDE), places);
    book_t *const  own = g->book;
    const uint64_t seq = g->rpt_seq;
    for (uint32_t i = 0; i < count && err == ERR_OK; i++) {
        g->book    = book_make(crowd_book(crowd, i), cfg);
        g->rpt_seq = 0;
        err        = g->book != NULL ? book_snapshot(g) : ERR_ARG;
        if (err == ERR_OK) {
            publish_walk(&crowd->records, i, g->book);
            crowd->rpt_seq[i] = g->rpt_seq;
        }
    }
    g->book    = own;
    g->rpt_seq = seq;
    return err;
}

/* Messages of n levels for random books: each takes the next steps of the trace, its own. */
static uint32_t crowd_layout(crowd_t *crowd, ground_t *g, uint32_t n, uint64_t *seed)
{
    for (uint32_t m = 0; m < CHUNK / n; m++) {
        const uint32_t i    = (uint32_t)(bench_random(seed) % crowd->count);
        wire_t        *w    = &g->part[m];
        const step_t  *step = &g->trace->step[crowd->taken[i]];
        crowd->chosen[m]    = i;
        crowd->taken[i] += n;
        w->upd = (book_update_t){.flags = BOOK_FLAG_FIRST | BOOK_FLAG_LAST, .rpt_seq = ++crowd->rpt_seq[i]};
        for (uint32_t side = 0; side < 2; side++) {
            for (uint32_t k = 0; k < n; k++) {
                if (step[k].side == side) {
                    w->level[w->upd.bid_count + w->upd.ask_count] = wire_level(step[k]);
                    w->upd.bid_count                              = (uint16_t)(w->upd.bid_count + (side == 0));
                    w->upd.ask_count                              = (uint16_t)(w->upd.ask_count + (side == 1));
                }
            }
        }
    }
    return CHUNK / n;
}

/* One message a level with the best read after it (n = 1), or 22 levels and publication; until a book has used up the
 * trace. */
static err_t crowd_run(const bench_t *bench, crowd_t *crowd, ground_t *g, uint32_t n, const char *name)
{
    bench_series_t series = {0};
    uint64_t       seed   = bench->seed;
    uint64_t       sum    = 0;
    err_t          err    = ERR_OK;
    for (uint64_t done = 0; done + 2 * CHUNK < g->trace->count / 2 && err == ERR_OK; done += CHUNK) {
        const uint32_t messages = crowd_layout(crowd, g, n, &seed);
        const uint64_t begin    = bench_begin();
        for (uint32_t m = 0; m < messages; m++) {
            book_t *book = crowd_book(crowd, crowd->chosen[m]);
            book_apply(book, &g->part[m].upd, g->part[m].level, 1);
            if (n == 1) {
                sum = fold_book(sum, book);
            } else {
                publish_book(&crowd->records, crowd->chosen[m], book, &g->part[m]);
            }
        }
        bench_chunk(bench, &series, bench_end() - begin, n * messages);
        for (uint32_t m = 0; m < messages && err == ERR_OK; m++) {
            const book_t *book = crowd_book(crowd, crowd->chosen[m]);
            err                = book_health(book) != FEED_LIVE ? err_set(ERR_INTERNAL, "%s: a book broke", name)
                                 : n == 1                       ? ERR_OK
                                                                : record_check(&crowd->records, crowd->chosen[m], book);
        }
    }
    if (err == ERR_OK) {
        bench_report(bench, &(bench_result_t){.name     = name,
                                              .unit     = "ns",
                                              .regime   = "single",
                                              .on       = {"every check", n == 1 ? "best read" : "top 20 published"},
                                              .series   = &series,
                                              .n        = series.count * CHUNK,
                                              .checksum = sum,
                                              .bytes    = (uint32_t)crowd->bytes});
    }
    bench_free(&series);
    return err;
}

static err_t run_crowds(bench_t *bench, ground_t *g)
{
    static const uint32_t   counts[] = {1, 100, 1000, 10000};
    static const book_cfg_t cfgs[]   = {{2048, 8192}, {4096, 4096}, {8192, 1024}, {8192, 16384}};
    const uint64_t          began    = bench_begin();
    err_t                   err      = ERR_OK;
    bench_note(bench, "many books, each message to a random one: NxW/F is N books with a window of W ticks and F far "
                      "slots; bytes are those of one book");
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (size_t k = 0; k < sizeof cfgs / sizeof cfgs[0] && err == ERR_OK; k++) {
            char    name[64];
            crowd_t crowd;
            if (counts[c] * book_footprint(&cfgs[k]) > CROWD_BYTES_MAX ||
                (bench->samples != 0 && bench->samples < 10000 && c > 1)) {
                continue;
            }
            if (bench_over(bench, began, 20)) {
                bench_note(bench, "no time left for %u books: --samples N takes what it takes", counts[c]);
                return ERR_OK;
            }
            err = crowd_make(&crowd, g, counts[c], &cfgs[k]);
            snprintf(name, sizeof name, "%ux%u/%u apply-1", counts[c], cfgs[k].window_ticks, cfgs[k].far_slots);
            err = err != ERR_OK ? err : crowd_run(bench, &crowd, g, 1, name);
            snprintf(name, sizeof name, "%ux%u/%u 22+publish", counts[c], cfgs[k].window_ticks, cfgs[k].far_slots);
            err = err != ERR_OK ? err : crowd_run(bench, &crowd, g, PUBLISHED_LEVELS, name);
            crowd_free(&crowd);
        }
    }
    return err;
}

/* ---- peers ------------------------------------------------------------------------------------------------------- */

static err_t run_peers(bench_t *bench, ground_t *g, uint64_t sum)
{
    const levels_peer_t *peer = bench_peers_symbol(LEVELS_TABLE);
    err_t                err  = ERR_OK;
    if (peer == NULL) {
        bench_note(bench,
                   "SKIP std::map, boost: no hwal-peers.so with them beside hwal: make deps-bench, make bench-peers");
    }
    for (; peer != NULL && peer->name != NULL && err == ERR_OK; peer++) {
        contender_t lane = {.name = peer->name, .run = run_levels_one, .peer = true};
        g->levels        = peer;
        for (uint32_t round = 0; round < 3 && err == ERR_OK; round++) {
            err = run_round(bench, g, &lane);
        }
        if (err == ERR_OK && lane.sum != sum) {
            err = err_set(ERR_INTERNAL, "%s differs: checksum %016llx, ours is %016llx", peer->name,
                          (unsigned long long)lane.sum, (unsigned long long)sum);
        }
        if (err == ERR_OK) {
            report_lane(bench, &lane);
        }
        bench_free(&lane.chunks);
    }
    g->levels = NULL;
    return err;
}

/* hftbacktest in a process of its own: the snapshot and the trace go through a file. */
static err_t trace_write(const ground_t *g, char *path)
{
    const int fd   = mkstemp(path);
    FILE     *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (file == NULL) {
        return err_set(ERR_IO, "%s: %s", path, strerror(errno));
    }
    for (uint32_t i = 0; i < SNAPSHOT_LEVELS; i++) {
        step_t steps[2];
        snapshot_step(i, steps);
        fwrite(steps, sizeof *steps, 2, file);
    }
    fwrite(g->trace->step, sizeof *g->trace->step, g->trace->count, file);
    return fclose(file) == 0 ? ERR_OK : err_set(ERR_IO, "%s: %s", path, strerror(errno));
}

static err_t hftbacktest_line(const bench_t *bench, const ground_t *g, char *line, uint64_t sum)
{
    char *const ns       = strchr(line, ';');
    char *const checksum = ns != NULL ? strchr(ns + 1, ';') : NULL;
    if (checksum == NULL) {
        return err_set(ERR_PARSE, "levels_hftbacktest.py printed '%s'", line);
    }
    *ns             = '\0';
    *checksum       = '\0';
    uint64_t theirs = 0;
    for (const char *c = checksum + 1; isxdigit((unsigned char)*c); c++) {
        theirs =
            theirs << 4 | (uint64_t)(isdigit((unsigned char)*c) ? *c - '0' : tolower((unsigned char)*c) - 'a' + 10);
    }
    if (theirs != sum) {
        return err_set(ERR_INTERNAL, "%s differs: checksum %016llx, ours is %016llx", line, (unsigned long long)theirs,
                       (unsigned long long)sum);
    }
    bench_series_t mean = {0};
    bench_add(&mean, strtod(ns + 1, NULL));
    bench_report(bench, &(bench_result_t){.name     = line,
                                          .unit     = "ns",
                                          .regime   = "single",
                                          .on       = {"a backtest's step", "mean of one run"},
                                          .series   = &mean,
                                          .n        = g->trace->count,
                                          .checksum = sum,
                                          .bytes    = sizeof(level_t),
                                          .peer     = true});
    bench_free(&mean);
    return ERR_OK;
}

static err_t run_hftbacktest(bench_t *bench, ground_t *g, uint64_t sum)
{
    const char *python = getenv("HWAL_BENCH_PYTHON") != NULL ? getenv("HWAL_BENCH_PYTHON") : "python3";
    const char *tmp    = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    char        path[256], command[1024], line[256];
    snprintf(path, sizeof path, "%s/hwal-trace-XXXXXX", tmp);
    err_t err = trace_write(g, path);
    snprintf(command, sizeof command, "exec '%s' bench/peers/levels_hftbacktest.py '%s' %u %d 2>/dev/null", python,
             path, 2 * SNAPSHOT_LEVELS, TICK_PX);
    FILE    *pipe = err == ERR_OK ? popen(command, "re") : NULL;
    unsigned rows = 0;
    while (err == ERR_OK && pipe != NULL && fgets(line, sizeof line, pipe) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        err                       = hftbacktest_line(bench, g, line, sum);
        rows += err == ERR_OK;
    }
    const int status = pipe != NULL ? pclose(pipe) : -1;
    unlink(path);
    if (err == ERR_OK && (status != 0 || rows == 0)) {
        bench_note(
            bench,
            "SKIP hftbacktest: '%s bench/peers/levels_hftbacktest.py' ended with %d: run from the project's folder, "
            "with `pip install hftbacktest`, or HWAL_BENCH_PYTHON naming a Python that has it",
            python, WIFEXITED(status) ? WEXITSTATUS(status) : status);
    }
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
    err                 = err != ERR_OK ? err : run_publish(bench, g);
    err                 = err != ERR_OK ? err : run_best(bench, g);
    err                 = err != ERR_OK ? err : run_peers(bench, g, one[0].sum);
    err                 = err != ERR_OK ? err : run_hftbacktest(bench, g, one[0].sum);
    return err != ERR_OK ? err : run_crowds(bench, g);
}

err_t bench_l2(bench_t *bench)
{
    const uint64_t asked  = bench->samples != 0 ? bench->samples : 200000;
    trace_t        trace  = {.count = (asked + CHUNK - 1) / CHUNK * CHUNK};
    const size_t   places = records_footprint(RECORD_PLACES, RECORD_STRIDE);
    trace.step            = malloc(trace.count * sizeof *trace.step);
    trace.message_end     = malloc(trace.count);
    trace.even_end        = malloc(trace.count);
    flat_side_t *flat     = malloc(2 * sizeof *flat);
    ground_t    *g        = calloc(1, sizeof *g);
    void        *records  = aligned_alloc(128, (places + 127) / 128 * 128);
    void        *mem      = aligned_alloc(book_align(), book_footprint(&(book_cfg_t){0}));
    err_t        err      = ERR_OK;
    if (trace.step == NULL || trace.message_end == NULL || trace.even_end == NULL || flat == NULL || g == NULL ||
        records == NULL || mem == NULL) {
        err = err_set(ERR_LIMIT, "no memory for %llu updates", (unsigned long long)trace.count);
    } else {
        const mix_t mix = trace_fill(&trace, flat, bench->seed);
        note_mix(bench, &trace, &mix);
        g->trace = &trace;
        g->flat  = flat;
        g->book  = book_make(mem, &(book_cfg_t){0});
        err      = records_writer_join(&g->records, records_new(records, RECORD_PLACES, RECORD_STRIDE), places);
        err      = err != ERR_OK ? err : run_all(bench, g);
    }
    free(trace.step);
    free(trace.message_end);
    free(trace.even_end);
    free(flat);
    free(g);
    free(records);
    free(mem);
    return err;
}
