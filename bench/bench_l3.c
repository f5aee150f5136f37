/* What does one message of an L3 feed cost, from its bytes to the book, and where does it go with many books?
 *
 * Session   one day of a venue, made from the seed by a matcher of the simplest kind (mbo itself: it knows who is first):
 *           limit orders that rest (85 % at a geometric distance of mean 6 ticks from a wandering middle, 12 % within 100, 3 %
 *           within 1000), cancels (60 % of recent orders, 40 % of any; some in part) and crossing IOC orders, of which
 *           the feed shows the executions. PERFORMANCE.md, part 2, 1a and 1c. The mix that came out is printed.
 * Input     ITCH 5.0 messages with their length before each, as in a file, in memory; order numbers are any 64 bits.
 * Work      parse, fold into the book of the instrument, best bid and offer of it into a checksum: after each message. The
 *           id's line of the message behind is asked for first, as whoever has a packet or a file can; but for rows "single",
 *           which see one message only.
 * Books     1 (9,800 live orders), 1,000 and 10,000 (60 live orders each, a window of 256 ticks) with the next message of
 *           a random one. Then memory decides, so the same is measured with batches of 16 messages, as a read from a
 *           socket brings them: heads, then slots, then orders and levels are asked for before the first is needed.
 * Peers     in hwal-peers.so; equal checksums are demanded.
 * File      ESH4 of HWAL_SHARED, records of Databento's format as they lie in memory, decoded and folded by
 *           adapters/files/dbn. Times say what our reader costs too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "adapters/files/dbn.h"
#include "bench/bench.h"
#include "bench/peers/feed.h"
#include "bench/peers/itch.h"
#include "core/book/mbo.h"

#define HUGE_PAGE (2u << 20)
#define CHUNK 500u
#define BATCH 16u
#define ROUNDS 7u
#define RECENT 64u
#define LIVE_ONE 9800u
#define LIVE_MANY 60u
#define BAR_PLAIN_NS 25
#define BAR_QUEUES_NS 45

typedef struct scene { /* so many books, and what is said about them */
    uint32_t  books;
    uint32_t  live; /* orders a book */
    mbo_cfg_t cfg;
    uint8_t  *bytes;
    size_t    len, cap;
    uint64_t  first_messages; /* until every book is filled: not timed */
    size_t    first_len;
    uint32_t *chunk_at; /* offset of each chunk after that, from first_len */
    uint64_t  chunks;
    uint64_t  adds, cancels, iocs, trades, messages;
    double    levels; /* a book, at the end */
} scene_t;

/* ---- books -------------------------------------------------------------------------------------------------------------- */

typedef struct books {
    uint8_t *mem;
    size_t   each; /* bytes of one */
} books_t;

static inline mbo_t *book_at(const books_t *b, uint64_t i)
{
    return (mbo_t *)(void *)(b->mem + i * b->each);
}

static err_t books_make(books_t *b, const scene_t *s, bool no_queues)
{
    mbo_cfg_t cfg = s->cfg;
    cfg.no_queues = no_queues;
    b->each       = mbo_footprint(&cfg);
    b->mem        = aligned_alloc(HUGE_PAGE, (b->each * s->books + HUGE_PAGE - 1) & ~(size_t)(HUGE_PAGE - 1));
    if (b->mem == NULL) {
        return err_set(ERR_LIMIT, "%u books of %zu bytes: no memory", s->books, b->each);
    }
    madvise(b->mem, b->each * s->books, MADV_HUGEPAGE); /* thousands of books on small pages miss the TLB each time */
    for (uint32_t i = 0; i < s->books; i++) {
        mbo_t *book = mbo_new(b->mem + i * b->each, &cfg);
        mbo_clear(book);
        mbo_feed(book, FEED_LIVE, FEED_REASON_NONE);
    }
    return ERR_OK;
}

static void books_drop(books_t *b)
{
    free(b->mem);
}

/* ---- the session --------------------------------------------------------------------------------------------------------- */

typedef struct maker { /* of one book, while the session is made */
    uint64_t *id;      /* live orders, oldest first but for the holes that the last one filled */
    uint32_t  count;
    int64_t   mid; /* tick */
} maker_t;

typedef struct making {
    scene_t *s;
    books_t  books;
    maker_t *maker;
    uint64_t seed;
    uint64_t ids;
} making_t;

static void put_be(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    }
}

static uint8_t *put_message(making_t *g, char type, uint32_t book, uint64_t id, uint32_t len)
{
    scene_t *s = g->s;
    uint8_t *m = s->bytes + s->len + 2;
    memset(m, 0, len);
    put_be(m - 2, len, 2);
    m[0] = (uint8_t)type;
    put_be(m + ITCH_LOCATE, book, 2);
    put_be(m + ITCH_TIME, s->messages, 6);
    put_be(m + ITCH_ID, id, 8);
    s->len += 2 + len;
    s->messages++;
    return m;
}

static void live_drop(maker_t *k, uint64_t id)
{
    for (uint32_t i = k->count; i-- > 0;) {
        if (k->id[i] == id) {
            k->id[i] = k->id[--k->count];
            return;
        }
    }
}

static void make_add(making_t *g, uint32_t b)
{
    maker_t       *k    = &g->maker[b];
    mbo_t         *book = book_at(&g->books, b);
    const uint64_t kind = bench_random(&g->seed) % 100;
    const bool     ask  = bench_random(&g->seed) & 1;
    int64_t        away = 0;
    if (kind < 85) {
        while (bench_random(&g->seed) % 7 != 0) {
            away++;
        }
    } else {
        away = (int64_t)(bench_random(&g->seed) % (kind < 97 ? 101 : 1001));
    }
    level_t bid, offer;
    mbo_best(book, &bid.px, &bid.qty, &offer.px, &offer.qty);
    int64_t px = (ask ? k->mid + 1 + away : k->mid - 1 - away) * ITCH_TICK;
    if (ask && bid.qty > 0 && px <= bid.px) {
        px = bid.px + ITCH_TICK;
    } else if (!ask && offer.qty > 0 && px >= offer.px) {
        px = offer.px - ITCH_TICK;
    }
    uint64_t       state = ++g->ids * 2; /* of a bijection: every number once */
    const uint64_t id    = bench_random(&state);
    const uint32_t qty   = 1 + (uint32_t)(bench_random(&g->seed) % 100);
    mbo_add(book, id, ask ? SIDE_SELL : SIDE_BUY, px, qty);
    k->id[k->count++] = id;
    g->s->adds++;
    uint8_t *m   = put_message(g, 'A', b, id, ITCH_ADD_BYTES);
    m[ITCH_SIDE] = ask ? 'S' : 'B';
    put_be(m + ITCH_ADD_QTY, qty, 4);
    put_be(m + ITCH_PX, (uint64_t)px, 4);
}

static void make_cancel(making_t *g, uint32_t b)
{
    maker_t *k = &g->maker[b];
    if (k->count == 0) {
        return;
    }
    const uint32_t recent = k->count < RECENT ? k->count : RECENT;
    const uint32_t i  = bench_random(&g->seed) % 100 < 60 ? k->count - 1 - (uint32_t)(bench_random(&g->seed) % recent)
                                                          : (uint32_t)(bench_random(&g->seed) % k->count);
    const uint64_t id = k->id[i];
    mbo_order_t    order;
    mbo_find(book_at(&g->books, b), id, &order);
    g->s->cancels++;
    if (order.qty > 1 && bench_random(&g->seed) % 20 == 0) {
        const uint32_t qty = 1 + (uint32_t)(bench_random(&g->seed) % (uint64_t)(order.qty - 1));
        put_be(put_message(g, 'X', b, id, ITCH_CANCEL_BYTES) + ITCH_QTY, qty, 4);
        mbo_reduce(book_at(&g->books, b), id, qty);
        return;
    }
    put_message(g, 'D', b, id, ITCH_DELETE_BYTES);
    mbo_remove(book_at(&g->books, b), id);
    k->id[i] = k->id[--k->count];
}

static void make_ioc(making_t *g, uint32_t b)
{
    mbo_t       *book = book_at(&g->books, b);
    const side_t side = bench_random(&g->seed) & 1 ? SIDE_SELL : SIDE_BUY; /* that it takes from */
    int64_t      left = 1 + (int64_t)(bench_random(&g->seed) % 100);
    mbo_level_t  best;
    g->s->iocs++;
    while (left > 0 && mbo_level(book, side, 0, &best)) {
        mbo_order_t first;
        mbo_queue(book, side, best.px, &first, 1);
        const int64_t qty = first.qty < left ? first.qty : left;
        put_be(put_message(g, 'E', b, first.id, ITCH_EXECUTED_BYTES) + ITCH_QTY, (uint64_t)qty, 4);
        mbo_reduce(book, first.id, qty);
        if (qty == first.qty) {
            live_drop(&g->maker[b], first.id);
        }
        left -= qty;
        g->s->trades++;
    }
}

static void make_event(making_t *g, uint32_t b)
{
    maker_t       *k    = &g->maker[b];
    const uint64_t kind = bench_random(&g->seed) % 1000;
    if (kind < 20 && k->mid > 5000 && k->mid < 15000) {
        k->mid += kind < 10 ? 1 : -1;
    }
    const uint64_t adds = k->count < g->s->live ? 520 : 440; /* of 1000 */
    const uint64_t what = bench_random(&g->seed) % 1000;
    if (what < 100) {
        make_ioc(g, b);
    } else if (what < 100 + adds && k->count < 2 * g->s->live) {
        make_add(g, b);
    } else {
        make_cancel(g, b);
    }
}

static uint32_t any_book(making_t *g)
{
    return (uint32_t)(bench_random(&g->seed) % g->s->books);
}

/* The session of s->books books: filled first, then events (about) messages. */
static err_t scene_make(scene_t *s, uint64_t seed, uint64_t events)
{
    making_t       g     = {.s = s, .seed = seed};
    const uint64_t fill  = (uint64_t)s->books * s->live;
    const uint64_t limit = fill + 2 * events;
    s->cap               = limit * (2 + ITCH_ADD_BYTES) + (1u << 20);
    s->bytes             = malloc(s->cap);
    s->chunk_at          = malloc((2 * events / CHUNK + 2) * sizeof *s->chunk_at);
    g.maker              = calloc(s->books, sizeof *g.maker);
    uint64_t *ids        = malloc((size_t)s->books * 2 * s->live * sizeof *ids);
    err_t     err        = books_make(&g.books, s, false);
    if (err == ERR_OK && s->bytes != NULL && s->chunk_at != NULL && g.maker != NULL && ids != NULL) {
        for (uint32_t b = 0; b < s->books; b++) {
            g.maker[b] = (maker_t){.id = ids + (size_t)b * 2 * s->live, .mid = 10000};
        }
        for (uint64_t i = 0; i < fill; i++) {
            const uint32_t b = any_book(&g);
            if (g.maker[b].count < 2 * s->live) {
                make_add(&g, b);
            }
        }
        s->first_messages = s->messages;
        s->first_len      = s->len;
        s->adds           = 0;
        while (s->messages < s->first_messages + events) {
            make_event(&g, any_book(&g));
        }
        uint32_t levels = 0;
        for (uint32_t b = 0; b < s->books; b++) {
            const mbo_t *book = book_at(&g.books, b);
            levels += mbo_level_count(book, SIDE_BUY) + mbo_level_count(book, SIDE_SELL);
            err = mbo_health(book) == FEED_LIVE ? err
                                                : err_set(ERR_INTERNAL, "the session broke book %u: %s", b, err_msg());
        }
        s->levels = (double)levels / s->books;
        s->chunks = (s->messages - s->first_messages) / CHUNK;
        size_t at = s->first_len;
        for (uint64_t i = 0; i < s->chunks * CHUNK; i++) {
            if (i % CHUNK == 0) {
                s->chunk_at[i / CHUNK] = (uint32_t)(at - s->first_len);
            }
            at += 2 + itch_u16(s->bytes + at);
        }
        books_drop(&g.books);
    } else if (err == ERR_OK) {
        err = err_set(ERR_LIMIT, "a session of %llu messages: no memory", (unsigned long long)limit);
    }
    free(ids);
    free(g.maker);
    return err;
}

static void scene_drop(scene_t *s)
{
    free(s->bytes);
    free(s->chunk_at);
}

/* ---- ours ---------------------------------------------------------------------------------------------------------------- */

static inline uint64_t take(const books_t *b, const uint8_t *m, uint64_t sum)
{
    mbo_t         *book = book_at(b, itch_u16(m + ITCH_LOCATE));
    const uint64_t id   = itch_u64(m + ITCH_ID);
    if (m[0] == 'A') {
        mbo_add(book, id, m[ITCH_SIDE] == 'S' ? SIDE_SELL : SIDE_BUY, itch_u32(m + ITCH_PX),
                itch_u32(m + ITCH_ADD_QTY));
    } else {
        mbo_less(book, id, itch_u32(m + ITCH_QTY),
                 m[0] == 'D'); /* which has no quantity: what lies behind it is read */
    }
    int64_t bid_px, bid_qty, ask_px, ask_qty;
    mbo_best(book, &bid_px, &bid_qty, &ask_px, &ask_qty);
    return itch_fold(sum, bid_px, bid_qty, ask_px, ask_qty);
}

static uint64_t run_plain(void *state, const uint8_t *at, uint32_t messages, uint64_t sum)
{
    for (uint32_t i = 0; i < messages; i++) {
        const uint8_t *m = at + 2;
        at += 2 + itch_u16(at);
        sum = take(state, m, sum);
    }
    return sum;
}

static uint64_t run_batch(void *state, const uint8_t *at, uint32_t messages, uint64_t sum)
{
    const books_t *b = state;
    for (uint32_t done = 0; done < messages;) {
        const uint32_t n = messages - done < BATCH ? messages - done : BATCH;
        const uint8_t *m[BATCH];
        for (uint32_t i = 0; i < n; i++) {
            m[i] = at + 2;
            at += 2 + itch_u16(at);
            mbo_prefetch(book_at(b, itch_u16(m[i] + ITCH_LOCATE)));
        }
        for (uint32_t i = 0; i < n; i++) {
            mbo_prefetch_slot(book_at(b, itch_u16(m[i] + ITCH_LOCATE)), itch_u64(m[i] + ITCH_ID));
        }
        for (uint32_t i = 0; i < n; i++) {
            mbo_prefetch_order(book_at(b, itch_u16(m[i] + ITCH_LOCATE)), itch_u64(m[i] + ITCH_ID));
        }
        for (uint32_t i = 0; i < n; i++) {
            sum = take(b, m[i], sum);
        }
        done += n;
    }
    return sum;
}

/* ---- contenders ----------------------------------------------------------------------------------------------------------- */

#define CONTENDERS_MAX 6

typedef struct contender {
    const char *name, *on;
    uint64_t (*run)(void *state, const uint8_t *at, uint32_t messages, uint64_t sum);
    const feed_peer_t *peer; /* NULL: ours */
    bool               no_queues;
    bench_series_t     chunks, singles;
    uint64_t           sum;
} contender_t;

static err_t run_round(const bench_t *bench, const scene_t *s, contender_t *c, bool singles)
{
    books_t books = {0};
    void   *state = &books;
    err_t   err   = ERR_OK;
    if (c->peer != NULL) {
        state = c->peer->make(s->books, s->books * s->live * 2);
    } else {
        err = books_make(&books, s, c->no_queues);
    }
    if (err != ERR_OK) {
        return err;
    }
    c->sum = c->run(state, s->bytes, (uint32_t)s->first_messages, 0);
    for (uint64_t k = 0; k < s->chunks; k++) {
        const uint8_t *at = s->bytes + s->first_len + s->chunk_at[k];
        if (!singles) {
            const uint64_t begin = bench_begin();
            c->sum               = c->run(state, at, CHUNK, c->sum);
            bench_chunk(bench, &c->chunks, bench_end() - begin, CHUNK);
            continue;
        }
        for (uint32_t i = 0; i < CHUNK; i++) {
            const uint64_t begin = bench_begin();
            c->sum               = c->run(state, at, 1, c->sum);
            bench_single(bench, &c->singles, bench_end() - begin);
            at += 2 + itch_u16(at);
        }
    }
    if (c->peer != NULL) {
        c->peer->drop(state);
        return ERR_OK;
    }
    for (uint32_t i = 0; i < s->books && err == ERR_OK; i++) {
        if (mbo_health(book_at(&books, i)) != FEED_LIVE) {
            err = err_set(ERR_INTERNAL, "%s: book %u broke", c->name, i);
        }
    }
    books_drop(&books);
    return err;
}

static void report(const bench_t *bench, const contender_t *c, const char *what, const bench_series_t *series,
                   uint64_t n, size_t bytes)
{
    char name[96];
    snprintf(name, sizeof name, "%s%s", c->name, what);
    bench_report(bench, &(bench_result_t){.name     = name,
                                          .unit     = "ns",
                                          .regime   = "single",
                                          .on       = {c->on},
                                          .series   = series,
                                          .n        = n,
                                          .bytes    = (uint32_t)bytes,
                                          .checksum = c->sum,
                                          .peer     = c->peer != NULL});
}

static err_t compare(bench_t *bench, const scene_t *s, contender_t *c, uint32_t count)
{
    err_t err = ERR_OK;
    for (uint32_t round = 0; round < ROUNDS + 2 && err == ERR_OK;
         round++) { /* the first warms up, the last is single */
        for (uint32_t i = 0; i < count && err == ERR_OK; i++) {
            contender_t *it = &c[(i + round) % count];
            if (it->peer != NULL && round > 2) {
                continue; /* the slow ones: twice will do */
            }
            const bool singles = round == ROUNDS + 1 && it->run != run_batch;
            err                = round == ROUNDS + 1 && !singles ? ERR_OK : run_round(bench, s, it, singles);
            if (round == 0) {
                it->chunks.count = 0;
            }
        }
    }
    for (uint32_t i = 1; i < count && err == ERR_OK; i++) {
        if (c[i].sum != c[0].sum) {
            err = err_set(ERR_INTERNAL, "%s and %s differ: checksums %016llx, %016llx", c[i].name, c[0].name,
                          (unsigned long long)c[i].sum, (unsigned long long)c[0].sum);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (err == ERR_OK) {
            report(bench, &c[i], "", &c[i].chunks, c[i].chunks.count * CHUNK, mbo_footprint(&s->cfg));
            if (c[i].singles.count > 0) {
                report(bench, &c[i], ", single", &c[i].singles, c[i].singles.count, mbo_footprint(&s->cfg));
            }
        }
    }
    return err;
}

static const feed_peer_t *const *peers_open(const bench_t *bench)
{
    static const feed_peer_t *const none[] = {NULL};
    const feed_peer_t *const       *table  = bench_peers_symbol(FEED_PEER_TABLE);
    if (table == NULL) {
        bench_note(bench, "SKIP peers: no hwal-peers.so beside hwal: make bench-peers");
    }
    return table != NULL ? table : none;
}

static err_t scene_run(bench_t *bench, uint32_t books, uint64_t events)
{
    scene_t s = {.books = books,
                 .live  = books == 1 ? LIVE_ONE : LIVE_MANY,
                 .cfg   = {.orders_max   = books == 1 ? 2 * LIVE_ONE : 2 * LIVE_MANY,
                           .levels_max   = books == 1 ? 4096 : 2 * LIVE_MANY,
                           .tick         = ITCH_TICK,
                           .window_ticks = books == 1 ? 0 : 256}};
    char    batch[32], queues[32], plain[32];
    err_t   err = scene_make(&s, bench->seed, events);
    snprintf(plain, sizeof plain, "l3 %u, no queues", books);
    snprintf(queues, sizeof queues, "l3 %u, queues", books);
    snprintf(batch, sizeof batch, "l3 %u, queues, batch", books);
    contender_t c[CONTENDERS_MAX] = {
        {.name = plain, .on = "every check", .run = run_plain, .no_queues = true},
        {.name = queues, .on = "every check", .run = run_plain},
        {.name = batch, .on = "every check", .run = run_batch},
    };
    uint32_t count = 3;
    if (err == ERR_OK) {
        bench_note(bench,
                   "%u books, %zu bytes each; %llu messages: %llu adds, %llu cancels, %llu "
                   "IOC with %llu "
                   "trades; %.0f levels a book",
                   books, mbo_footprint(&s.cfg), (unsigned long long)(s.messages - s.first_messages),
                   (unsigned long long)s.adds, (unsigned long long)s.cancels, (unsigned long long)s.iocs,
                   (unsigned long long)s.trades, s.levels);
        for (const feed_peer_t *const *peer = peers_open(bench); *peer != NULL && count < CONTENDERS_MAX; peer++) {
            c[count++] = (contender_t){.name = (*peer)->name, .on = "nothing", .run = (*peer)->run, .peer = *peer};
        }
        err = compare(bench, &s, c, count);
    }
    if (err == ERR_OK) {
        bench_bar(bench, false, bench_percentile(&c[0].chunks, 0.5), BAR_PLAIN_NS, "ns", "L3 message, %u books", books);
        bench_bar(bench, false, bench_percentile(&c[1].chunks, 0.5), BAR_QUEUES_NS, "ns",
                  "the same with queues, %u books", books);
    }
    for (uint32_t i = 0; i < count; i++) {
        bench_free(&c[i].chunks);
        bench_free(&c[i].singles);
    }
    scene_drop(&s);
    return err;
}

/* ---- a real file ----------------------------------------------------------------------------------------------------------- */

/* A file that lies in memory, with what path holds when zstd has unpacked it; its number, -1 when there is no such file or
 * no room. */
static int unpacked(const char *path)
{
    static uint8_t in[1u << 16], out[1u << 18];
    FILE          *file = fopen(path, "rbe");
    ZSTD_DStream  *zstd = ZSTD_createDStream();
    int            fd   = file != NULL ? memfd_create("unpacked", MFD_CLOEXEC) : -1;
    for (size_t len = 1; fd >= 0 && (len = fread(in, 1, sizeof in, file)) > 0;) {
        ZSTD_inBuffer from = {.src = in, .size = len};
        while (from.pos < from.size) {
            ZSTD_outBuffer to   = {.dst = out, .size = sizeof out};
            const size_t   left = ZSTD_decompressStream(zstd, &to, &from);
            if (ZSTD_isError(left) || write(fd, out, to.pos) != (ssize_t)to.pos) {
                close(fd);
                fd = -1;
                break;
            }
        }
    }
    ZSTD_freeDStream(zstd);
    if (file != NULL) {
        fclose(file);
    }
    return fd;
}

static err_t file_round(const bench_t *bench, const char *path, mbo_t *mbo, contender_t *c)
{
    dbn_t *dbn;
    err_t  err = dbn_open(path, &dbn);
    c->sum     = 0;
    while (err == ERR_OK) {
        uint32_t       n     = 0;
        const uint64_t begin = bench_begin();
        for (; n < CHUNK && err == ERR_OK; n++) {
            dbn_record_t record;
            int64_t      bid_px, bid_qty, ask_px, ask_qty;
            err = dbn_next(dbn, &record);
            err = err != ERR_OK ? err : dbn_book(mbo, &record);
            mbo_best(mbo, &bid_px, &bid_qty, &ask_px, &ask_qty);
            c->sum = itch_fold(c->sum, bid_px, bid_qty, ask_px, ask_qty);
        }
        const uint64_t ticks = bench_end() - begin;
        if (n == CHUNK && err == ERR_OK) {
            bench_chunk(bench, &c->chunks, ticks, CHUNK);
        }
    }
    if (err == ERR_END) {
        dbn_close(dbn);
        err = ERR_OK;
    }
    return err;
}

static err_t file_run(bench_t *bench)
{
    const char *shared = getenv("HWAL_SHARED");
    char        path[512], in_memory[64];
    snprintf(path, sizeof path, "%s/data/databento/esh4-glbx-mdp3-20231224.mbo.dbn.zst",
             shared != NULL ? shared : "../shared");
    const int fd = unpacked(path);
    if (fd < 0) {
        bench_note(bench, "SKIP ESH4: no %s; set HWAL_SHARED", path);
        return ERR_OK;
    }
    snprintf(in_memory, sizeof in_memory, "/proc/self/fd/%d", fd);
    contender_t c[] = {{.name = "ESH4 by dbn, no queues", .on = "every check", .no_queues = true},
                       {.name = "ESH4 by dbn, queues", .on = "every check"}};
    mbo_cfg_t   cfg = {.orders_max = 16384, .levels_max = 4096}; /* the tick is learned */
    err_t       err = ERR_OK;
    for (uint32_t round = 0; round < 2 * ROUNDS && err == ERR_OK; round++) {
        contender_t *it = &c[round % 2];
        cfg.no_queues   = it->no_queues;
        void *mem       = aligned_alloc(mbo_align(), mbo_footprint(&cfg));
        err =
            mem != NULL ? file_round(bench, in_memory, mbo_new(mem, &cfg), it) : err_set(ERR_LIMIT, "ESH4: no memory");
        free(mem);
    }
    close(fd);
    for (uint32_t i = 0; i < 2; i++) {
        if (err == ERR_OK) {
            report(bench, &c[i], "", &c[i].chunks, c[i].chunks.count * CHUNK, mbo_footprint(&cfg));
        }
        bench_free(&c[i].chunks);
    }
    return err;
}

err_t bench_l3(bench_t *bench)
{
    static const uint32_t books[] = {1, 1000, 10000};
    const uint64_t        events  = bench->samples != 0 ? bench->samples : 200000;
    err_t                 err     = ERR_OK;
    for (uint32_t i = 0; i < sizeof books / sizeof *books && err == ERR_OK; i++) {
        err = scene_run(bench, books[i], events);
    }
    return err != ERR_OK ? err : file_run(bench);
}
