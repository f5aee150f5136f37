/* Replay of a recording of ours: read, checked, unpacked, folded into books; and the same with strategies, risk, order state,
 * the simulated venue, and every input as a journal record in memory. Recordings: a generated market with messages of a
 * real feed's sizes, and, when HWAL_SHARED is there, the captures and Databento files under it, imported first. What is
 * measured is the whole pass over the file (it is in the page cache); one sample a pass. The checksum is that of the books,
 * or of the engine's outputs, in the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "core/ref/instrument.h"
#include "ipc/message.h"
#include "ipc/record.h"
#include "tools/offline.h"
#include "tools/record.h"
#include "tools/recorder.h"

#define PASSES 5u
#define MESSAGES 400000u
#define LEVELS 22u /* of a diff: what the busiest symbols send in 100 ms, PERFORMANCE of books */
#define DEEP 400   /* ticks from the best in which levels change */

typedef struct pass {
    uint64_t messages, levels, checksum;
    double   ns;
} pass_t;

/* ---- a generated recording -------------------------------------------------------------------------------------------- */
typedef struct market {
    recorder_t recorder;
    uint64_t   rng, seq, rpt;
    int64_t    ts, px; /* best bid */
} market_t;

static err_t put(market_t *m, msg_type_t type, const void *body, const level_t *levels, uint32_t count)
{
    const recording_entry_t entry = {.msg   = {.type = type, .body = body, .tail = levels, .tail_count = count},
                                     .seq   = ++m->seq,
                                     .ts_ns = m->ts,
                                     .topic = 1};
    return recorder_write(&m->recorder, &entry);
}

static int64_t quantity(market_t *m)
{
    return 1 + (int64_t)(bench_random(&m->rng) % 5000000);
}

/* How far from the best a level lies: near ones change most. */
static int64_t distance(market_t *m)
{
    const uint64_t r = bench_random(&m->rng);
    return 1 + (int64_t)(r % 4 != 0 ? r / 4 % 20 : r / 4 % DEEP);
}

static err_t diff(market_t *m, bool snapshot)
{
    level_t        levels[BOOK_UPDATE_MAX_LEVELS];
    const uint32_t n   = snapshot ? 32 : LEVELS / 2;
    book_update_t  upd = {.instrument_id   = 1,
                          .flags           = BOOK_FLAG_FIRST | BOOK_FLAG_LAST | (snapshot ? BOOK_FLAG_SNAPSHOT : 0u),
                          .rpt_seq         = ++m->rpt,
                          .venue_seq_first = m->rpt,
                          .venue_seq       = m->rpt,
                          .ts_event_ns     = m->ts / NS_PER_MS * NS_PER_MS,
                          .ts_recv_ns      = m->ts,
                          .bid_count       = (uint16_t)n,
                          .ask_count       = (uint16_t)n};
    for (uint32_t i = 0; i < n; i++) {
        const bool gone = bench_random(&m->rng) % 3 == 0;
        levels[i] = (level_t){m->px - (snapshot ? (int64_t)i + 1 : distance(m)), gone && !snapshot ? 0 : quantity(m)};
        levels[n + i] =
            (level_t){m->px + 1 + (snapshot ? (int64_t)i + 1 : distance(m)), gone && !snapshot ? 0 : quantity(m)};
    }
    levels[0] = (level_t){m->px, quantity(m)}; /* the best of both sides is always there */
    levels[n] = (level_t){m->px + 1, quantity(m)};
    return put(m, MSG_BOOK_UPDATE, &upd, levels, 2 * n);
}

static err_t generate(const char *path, uint64_t seed, uint64_t messages)
{
    static const recording_about_t about = {.source_count = 1, .source = {"md"}};
    const book_cfg_t               book  = {0};
    const instrument_def_t         def   = {.instrument_id = 1,
                                            .venue_id      = 1,
                                            .kind          = INSTRUMENT_SPOT,
                                            .px_exp        = 2,
                                            .qty_exp       = 5,
                                            .money_exp     = 8,
                                            .settle_ccy    = ccy_pack("USDT"),
                                            .lot           = 1,
                                            .min_qty       = 1,
                                            .mult          = 1};
    const tick_band_t              band  = {.px_from = 0, .tick = 1};
    market_t                       m     = {.rng = seed, .ts = 1700000000 * NS_PER_S, .px = 6160201};
    err_t                          err   = recorder_open(&m.recorder, path, &about, &book);
    if (err) {
        return err;
    }
    err = recorder_define(
        &m.recorder, &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def, .tail = &band, .tail_count = 1, .text = "GEN"});
    err = err ? err : diff(&m, true);
    for (uint64_t i = 1; !err && i < messages; i++) {
        const uint64_t r = bench_random(&m.rng);
        m.ts += (int64_t)(r % 200000);
        if (r % 22 < 10) {
            err = diff(&m, false);
        } else if (r % 22 < 16) {
            const trade_t trade = {.instrument_id  = 1,
                                   .aggressor_side = (uint8_t)(1 + r % 2),
                                   .trade_id       = i,
                                   .px             = m.px + (r % 2 == 0),
                                   .qty            = quantity(&m),
                                   .ts_event_ns    = m.ts / NS_PER_MS * NS_PER_MS,
                                   .ts_recv_ns     = m.ts};
            err                 = put(&m, MSG_TRADE, &trade, NULL, 0);
        } else {
            const top_t top = {.instrument_id = 1,
                               .venue_seq     = m.rpt,
                               .bid_px        = m.px,
                               .bid_qty       = quantity(&m),
                               .ask_px        = m.px + 1,
                               .ask_qty       = quantity(&m),
                               .ts_event_ns   = m.ts / NS_PER_MS * NS_PER_MS,
                               .ts_recv_ns    = m.ts};
            err             = put(&m, MSG_TOP, &top, NULL, 0);
        }
    }
    const err_t closed = recorder_close(&m.recorder, m.ts);
    return err ? err : closed;
}

/* ---- passes ------------------------------------------------------------------------------------------------------------ */
/* The thread's own time: a pass is long enough for others to come between, and a figure is of one core. */
static double thread_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static bool wanted(const recording_entry_t *entry)
{
    const msg_type_t t = entry->msg.type;
    return !(entry->flags & RECORDING_REFRESH) &&
           (t == MSG_BOOK_UPDATE || t == MSG_MBO_UPDATE || t == MSG_TRADE || t == MSG_TOP || t == MSG_FEED_STATE);
}

static err_t books_pass(record_file_t *f, record_books_t *books, pass_t *out)
{
    recording_entry_t entry;
    err_t             err = recording_seek_number(f->reader, 1);
    *out                  = (pass_t){0};
    const double began    = thread_ns();
    while (!err && (err = recording_next(f->reader, &entry)) == ERR_OK) {
        if (wanted(&entry)) {
            err = record_books_apply(books, &entry.msg, entry.ts_ns);
            out->messages++;
            out->levels += entry.msg.tail_count;
        }
    }
    out->ns = thread_ns() - began;
    for (uint32_t i = 1; i <= books->count; i++) {
        out->checksum = view_hash(out->checksum, record_books_view(books, i));
    }
    return err == ERR_END ? ERR_OK : err;
}

/* What the engine itself does for the journal: each input as a sealed record in the jrn ring; blocks and files are another
 * process's. */
#define JRN_SLOTS 4096u
typedef struct jrn {
    uint64_t sequence;
    _Alignas(8) uint8_t slot[JRN_SLOTS][RECORD_BYTES_MAX];
} jrn_t;

static void journal(void *ctx, int64_t now_ns, msg_type_t type, const void *body, const void *tail, uint32_t count)
{
    jrn_t        *j    = ctx;
    uint8_t      *slot = j->slot[++j->sequence % JRN_SLOTS];
    size_t        len  = 0;
    const now_t   now  = {.mono_ns = now_ns, .utc_ns = now_ns};
    const msg_t   msg  = {.type = type, .body = body, .tail = tail, .tail_count = count};
    record_head_t head = {0};
    if (message_write(&msg, record_message(slot), MESSAGE_BYTES_MAX, &len) == ERR_OK) {
        record_seal(slot, type, (uint32_t)len, j->sequence, now, &head);
    }
}

static void journal_other(void *ctx, int64_t now_ns, msg_type_t type, const void *body)
{
    journal(ctx, now_ns, type, body, NULL, 0);
}

static err_t engine_pass(record_file_t *f, const record_books_t *books, const config_t *config, pass_t *out)
{
    recording_entry_t entry;
    offline_t         run;
    err_t             err = offline_open(&run, config, &books->ins[1], books->count, NULL, 0, NULL);
    if (err) {
        return err;
    }
    static jrn_t jrn;
    run.tape           = journal_other;
    run.tape_ctx       = &jrn;
    *out               = (pass_t){0};
    err                = recording_seek_number(f->reader, 1);
    const double began = thread_ns();
    while (!err && (err = recording_next(f->reader, &entry)) == ERR_OK) {
        if (wanted(&entry)) {
            err = offline_begin(&run, entry.ts_ns);
            journal(&jrn, entry.ts_ns, entry.msg.type, entry.msg.body, entry.msg.tail, entry.msg.tail_count);
            err = err ? err : offline_market(&run, &entry.msg);
            out->messages++;
            out->levels += entry.msg.tail_count;
        }
    }
    out->ns       = thread_ns() - began;
    out->checksum = engine_output_hash(run.engine);
    offline_close(&run);
    return err == ERR_END ? ERR_OK : err;
}

static void report(const bench_t *bench, const char *name, bool on, bench_series_t *series, const pass_t *best,
                   bool bars)
{
    const bench_result_t result = {
        .name     = name,
        .unit     = "ns",
        .regime   = "single",
        .on       = {"read", "checks", "unpack", "books", on ? "strategies, risk, venue, jrn" : NULL},
        .series   = series,
        .n        = best->messages,
        .checksum = best->checksum};
    const double messages = (double)best->messages / best->ns * 1e3, levels = (double)best->levels / best->ns * 1e3;
    bench_report(bench, &result);
    bench_note(bench, "  %s: %.2f million messages, %.2f million levels a second (%.1f levels a message)", name,
               messages, levels, (double)best->levels / (double)best->messages);
    bench_bar(bench, true, messages, on ? 1 : 2, "M/s", "%s, messages", name);
    if (bars) {
        bench_bar(bench, true, levels, on ? 10 : 20, "M/s", "%s, levels", name);
    }
}

/* bars: of levels too; a feed whose messages are mostly trades and quotes has too few of them for that. ways: 1 = books, 2 =
 * all on as well, which in a market that is closed for a day measures the clock's ticks. */
static err_t measure(bench_t *bench, const char *what, const char *path, const config_t *config, bool bars, int ways)
{
    record_file_t  f;
    record_books_t books = {.cfg = {.window_ticks = (uint32_t)config->engine.book_window_ticks,
                                    .far_slots    = (uint32_t)config->engine.book_far_levels}};
    err_t          err   = record_open(&f, path);
    if (err) {
        return err;
    }
    err = record_instruments(&f, &books);
    bench_note(bench, "%s: %.2f MB, %.1f bytes an entry", what, (double)recording_extent(f.reader)->bytes / 1e6,
               (double)recording_extent(f.reader)->bytes / (double)recording_extent(f.reader)->entries);
    for (int on = 0; !err && on < ways; on++) {
        bench_series_t series = {0};
        pass_t         best   = {0}, now;
        char           name[BENCH_NAME_MAX + 1];
        snprintf(name, sizeof name, "%s, %s", what, on ? "all on" : "books");
        for (unsigned i = 0; !err && i < PASSES; i++) {
            err = on ? engine_pass(&f, &books, config, &now) : books_pass(&f, &books, &now);
            if (!err) {
                bench_add(&series, now.ns / (double)now.messages);
                best = i == 0 || now.ns < best.ns ? now : best;
            }
        }
        if (!err) {
            report(bench, name, on, &series, &best, bars);
        }
        bench_free(&series);
    }
    record_books_free(&books);
    record_close(&f);
    return err;
}

static err_t captures(bench_t *bench, const char *shared, const char *out, const config_t *config)
{
    static const char *const names[] = {"spot_btcusdt_20240808", "usdm_btcusdt_20240808", "cm_btcusd_perp_20240808"};
    err_t                    err     = ERR_OK;
    for (size_t i = 0; !err && i < sizeof names / sizeof names[0]; i++) {
        char  path[4096], import[] = "import", flag[] = "--out", quiet[] = "--quiet", to[4096];
        char *argv[] = {import, path, flag, to, quiet, NULL};
        snprintf(path, sizeof path, "%s/data/binance/%s.gz", shared, names[i]);
        snprintf(to, sizeof to, "%s", out);
        unlink(out);
        if (access(path, R_OK) != 0) {
            bench_note(bench, "SKIP %s: not there (HWAL_SHARED)", path);
            continue;
        }
        err = record_import(5, argv) == 0 ? measure(bench, names[i], out, config, false, 2)
                                          : err_set(ERR_STATE, "%s could not be imported", path);
    }
    return err;
}

/* Single orders: a day and the one before it of a future, from Databento files. An entry of an order stands for a level. */
static err_t orders(bench_t *bench, const char *shared, const char *out, const config_t *config)
{
    char  path[2][4096], import[] = "import", flag[] = "--out", quiet[] = "--quiet", to[4096];
    char *argv[] = {import, path[0], path[1], flag, to, quiet, NULL};
    for (int day = 0; day < 2; day++) {
        snprintf(path[day], sizeof path[day], "%s/data/databento/esh4-glbx-mdp3-2023122%d.mbo.dbn.zst", shared,
                 4 + day);
        if (access(path[day], R_OK) != 0) {
            bench_note(bench, "SKIP %s: not there (HWAL_SHARED)", path[day]);
            return ERR_OK;
        }
    }
    snprintf(to, sizeof to, "%s", out);
    unlink(out);
    return record_import(6, argv) == 0 ? measure(bench, "orders of esh4_202312", out, config, false, 1)
                                       : err_set(ERR_STATE, "%s could not be imported", path[1]);
}

err_t bench_replay(bench_t *bench)
{
    const char *tmp = getenv("TMPDIR"), *shared = getenv("HWAL_SHARED");
    char        dir[2048], path[4096];
    config_t   *config;
    err_t       err = config_load(NULL, &config);
    if (err) {
        return err;
    }
    snprintf(dir, sizeof dir, "%s/hwal-bench-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) {
        config_free(config);
        return err_set(ERR_IO, "%s: no folder can be made", dir);
    }
    snprintf(path, sizeof path, "%s/market.hwr", dir);
    err = generate(path, bench->seed, bench->samples ? bench->samples : MESSAGES);
    err = err ? err : measure(bench, "generated", path, config, true, 2);
    err = err ? err : captures(bench, shared ? shared : "../shared", path, config);
    err = err ? err : orders(bench, shared ? shared : "../shared", path, config);
    unlink(path);
    rmdir(dir);
    config_free(config);
    return err;
}
