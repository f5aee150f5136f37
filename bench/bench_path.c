/* From a captured line to the order in the caller's buffer: parse, book, strategies, risk, order state, portfolio,
 * output hash, hand-over; everything on. gzip is not in it: all lines are in memory before the clock starts. What
 * counts is the lines that caused an order; the others are reported beside them.
 *
 * Two passes. The first is a replay with the simulated venue, and keeps a tape of what came back from it. The second is
 * the engine alone with that tape, as if the venue were another process; it is the one that is measured, and must give
 * the same output hash. Recorded captures under HWAL_SHARED are used when they are there, a generated market always:
 * its messages are written as the venue would write them. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapters/capture/capture.h"
#include "adapters/venue.h"
#include "bench/bench.h"
#include "core/types/decimal.h"
#include "tools/offline.h"

typedef struct line {
    int64_t  ts_recv_ns;
    size_t   at;
    uint32_t len;
    uint32_t reserved;
} line_t;

typedef struct lines {
    char   *text;
    size_t  bytes, bytes_cap;
    line_t *line;
    size_t  count, cap;
} lines_t;

typedef struct taped { /* an input that is no market data, before which line it came */
    size_t     line;
    int64_t    now_ns;
    msg_type_t type;
    uint32_t   reserved;
    union {
        tick_t        tick;
        exec_report_t report;
    } body;
} taped_t;

typedef struct pass {
    offline_t run;
    bool      measured; /* engine alone, else engine and venue */
    md_buf_t  slot;
    void     *codec, *mem;
    err_t     err;
    size_t    line; /* now */
    taped_t  *tape;
    size_t    count, cap;
} pass_t;

static bool lines_add(lines_t *l, int64_t ts, const char *text, size_t len)
{
    if (l->count == l->cap || l->bytes + len > l->bytes_cap) {
        l->cap        = l->count == l->cap ? l->cap * 2 + 65536 : l->cap;
        l->bytes_cap  = (l->bytes + len) * 2 + (1u << 22);
        char   *grown = realloc(l->text, l->bytes_cap);
        line_t *moved = realloc(l->line, l->cap * sizeof *moved);
        l->text       = grown ? grown : l->text;
        l->line       = moved ? moved : l->line;
        if (!grown || !moved) {
            return false;
        }
    }
    l->line[l->count++] = (line_t){.ts_recv_ns = ts, .at = l->bytes, .len = (uint32_t)len};
    memcpy(l->text + l->bytes, text, len);
    l->bytes += len;
    return true;
}

static err_t lines_from_capture(lines_t *l, const char *path, uint64_t most)
{
    const size_t   bytes = capture_footprint(1);
    void          *mem   = aligned_alloc(capture_align(), (bytes + 4095) & ~(size_t)4095);
    capture_t     *cap;
    capture_line_t line;
    err_t          err = mem ? capture_open(mem, &path, 1, &cap) : err_set(ERR_LIMIT, "out of memory");
    if (err) {
        free(mem);
        return err;
    }
    while (l->count < most && (err = capture_next(cap, &line)) == ERR_OK) {
        if (!lines_add(l, line.ts_recv_ns, line.text, line.len)) {
            err = err_set(ERR_LIMIT, "out of memory");
            break;
        }
    }
    capture_close(cap);
    free(mem);
    return err == ERR_END ? ERR_OK : err;
}

/* ---- a generated market, written as the venue writes ------------------------------------------------------------- */
#define WRITER_LEVELS 2048u

typedef struct writer {
    char     text[65536];
    size_t   len;
    uint32_t bid_count, ask_count; /* of a message that comes in parts */
    level_t  bids[WRITER_LEVELS], asks[WRITER_LEVELS];
} writer_t;

static void put(writer_t *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(writer_t *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(w->text + w->len, sizeof w->text - w->len, fmt, args);
    va_end(args);
    w->len += n > 0 ? (size_t)n : 0;
}

static void put_levels(writer_t *w, const instrument_t *ins, const char *key, const level_t *levels, uint32_t count)
{
    char px[DECIMAL_TEXT_MAX], qty[DECIMAL_TEXT_MAX];
    put(w, "\"%s\":[", key);
    for (uint32_t i = 0; i < count; i++) {
        decimal_format(levels[i].px, (unsigned)ins->def.px_exp, px);
        decimal_format(levels[i].qty, (unsigned)ins->def.qty_exp, qty);
        put(w, "%s[\"%s\",\"%s\"]", i ? "," : "", px, qty);
    }
    put(w, "]");
}

/* false: a part of a message that is not complete yet */
static bool write_message(writer_t *w, const instrument_t *ins, const msg_t *msg)
{
    char a[DECIMAL_TEXT_MAX], b[DECIMAL_TEXT_MAX], c[DECIMAL_TEXT_MAX], d[DECIMAL_TEXT_MAX];
    char stream[SYMBOL_MAX + 1] = {0}; /* streams are named in small letters */
    for (size_t i = 0; ins->symbol[i]; i++) {
        stream[i] = (char)(ins->symbol[i] >= 'A' && ins->symbol[i] <= 'Z' ? ins->symbol[i] + 32 : ins->symbol[i]);
    }
    w->len = 0;
    if (msg->type == MSG_BOOK_UPDATE) {
        const book_update_t *u  = msg->body;
        const level_t       *in = msg->tail;
        const long long      ms = u->ts_event_ns / NS_PER_MS;
        if (u->flags & BOOK_FLAG_FIRST) {
            w->bid_count = w->ask_count = 0;
        }
        for (uint32_t i = 0; i < u->bid_count && w->bid_count < WRITER_LEVELS; i++) {
            w->bids[w->bid_count++] = in[i];
        }
        for (uint32_t i = 0; i < u->ask_count && w->ask_count < WRITER_LEVELS; i++) {
            w->asks[w->ask_count++] = in[u->bid_count + i];
        }
        if (!(u->flags & BOOK_FLAG_LAST)) {
            return false;
        }
        const bool snapshot = u->flags & BOOK_FLAG_SNAPSHOT;
        if (snapshot) {
            put(w, "{\"lastUpdateId\":%" PRIu64 ",\"E\":%lld,\"T\":%lld,", u->venue_seq, ms, ms);
        } else {
            put(w,
                "{\"stream\":\"%s@depth@0ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":%lld,\"T\":%lld,\"s\":\"%s\",\"U\":"
                "%" PRIu64 ",\"u\":%" PRIu64 ",\"pu\":%" PRIu64 ",",
                stream, ms, ms, ins->symbol, u->venue_seq - 1, u->venue_seq, u->venue_seq - 1);
        }
        put_levels(w, ins, snapshot ? "bids" : "b", w->bids, w->bid_count);
        put(w, ",");
        put_levels(w, ins, snapshot ? "asks" : "a", w->asks, w->ask_count);
        put(w, snapshot ? "}" : "}}");
        return true;
    }
    if (msg->type == MSG_TRADE) {
        const trade_t *t = msg->body;
        decimal_format(t->px, (unsigned)ins->def.px_exp, a);
        decimal_format(t->qty, (unsigned)ins->def.qty_exp, b);
        put(w,
            "{\"stream\":\"%s@trade\",\"data\":{\"e\":\"trade\",\"E\":%lld,\"T\":%lld,\"s\":\"%s\",\"t\":%" PRIu64
            ",\"p\":\"%s\",\"q\":\"%s\",\"X\":\"MARKET\",\"m\":%s}}",
            stream, t->ts_event_ns / NS_PER_MS, t->ts_event_ns / NS_PER_MS, ins->symbol, t->trade_id, a, b,
            t->aggressor_side == SIDE_SELL ? "true" : "false");
        return true;
    }
    const top_t *t = msg->body;
    decimal_format(t->bid_px, (unsigned)ins->def.px_exp, a);
    decimal_format(t->bid_qty, (unsigned)ins->def.qty_exp, b);
    decimal_format(t->ask_px, (unsigned)ins->def.px_exp, c);
    decimal_format(t->ask_qty, (unsigned)ins->def.qty_exp, d);
    put(w,
        "{\"stream\":\"%s@bookTicker\",\"data\":{\"e\":\"bookTicker\",\"u\":%" PRIu64
        ",\"s\":\"%s\",\"b\":\"%s\",\"B\":\"%s\",\"a\":\"%s\","
        "\"A\":\"%s\",\"T\":%lld,\"E\":%lld}}",
        stream, t->venue_seq, ins->symbol, a, b, c, d, t->ts_event_ns / NS_PER_MS, t->ts_event_ns / NS_PER_MS);
    return true;
}

static err_t lines_from_flow(lines_t *l, uint64_t seed, uint64_t most, instrument_t *ins)
{
    const flow_cfg_t cfg     = {.seed             = seed,
                                .session          = 1,
                                .start_ns         = 1700000000000000000LL,
                                .gap_mean_ns      = 2 * NS_PER_MS,
                                .instrument_count = 2,
                                .own_max          = 1,
                                .venue_id         = 1};
    void            *mem     = aligned_alloc(flow_align(), (flow_footprint(&cfg) + 4095) & ~(size_t)4095);
    flow_t          *flow    = mem ? flow_new(mem, &cfg) : NULL;
    writer_t        *w       = calloc(1, sizeof *w);
    exec_out_t       reports = {.reports = malloc(FLOW_REPORTS_MAX * sizeof(exec_report_t)), .cap = FLOW_REPORTS_MAX};
    const uint32_t   id      = 2; /* the linear one of the table */
    err_t            err     = flow && w && reports.reports ? ERR_OK : err_set(ERR_LIMIT, "out of memory");
    if (!err) {
        *ins                   = *flow_instrument(flow, id - 1);
        ins->def.instrument_id = 1;
    }
    while (!err && l->count < most) {
        msg_t msg;
        while (!err && flow_md_next(flow, &msg)) { /* instrument_id is the first member of each market message */
            if (*(const uint32_t *)msg.body == id && write_message(w, ins, &msg) &&
                !lines_add(l, flow_due_ns(flow), w->text, w->len)) {
                err = err_set(ERR_LIMIT, "out of memory");
            }
        }
        err = err ? err : flow_step(flow, INT64_MAX, &reports);
    }
    free(mem);
    free(w);
    free(reports.reports);
    return err;
}

/* ---- passes ----------------------------------------------------------------------------------------------------- */
static md_slot_t pass_reserve(void *ctx, msg_type_t type)
{
    pass_t *pass = ctx;
    (void)type;
    return (md_slot_t){.body = &pass->slot.body, .levels = pass->slot.levels};
}

static void pass_commit(void *ctx, const msg_t *msg)
{
    pass_t     *pass = ctx;
    const err_t err  = pass->measured ? offline_to_engine(&pass->run, msg) : offline_market(&pass->run, msg);
    pass->err        = pass->err ? pass->err : err;
}

static void tape_add(void *ctx, int64_t now_ns, msg_type_t type, const void *body)
{
    pass_t *pass = ctx;
    if (pass->count == pass->cap) {
        pass->cap      = pass->cap * 2 + 4096;
        taped_t *grown = realloc(pass->tape, pass->cap * sizeof *grown);
        if (!grown) {
            pass->err = err_set(ERR_LIMIT, "out of memory");
            pass->cap = pass->count;
            return;
        }
        pass->tape = grown;
    }
    taped_t *t = &pass->tape[pass->count++];
    *t         = (taped_t){.line = pass->line, .now_ns = now_ns, .type = type};
    memcpy(&t->body, body, msg_body_size(type));
}

static err_t pass_open(pass_t *pass, const venue_codec_t *venue, const instrument_t *ins, const config_t *config)
{
    /* quotes at the touch that follow every tick, and a trend follower: what is measured should happen often */
    char *const specs[] = {(char[]){"market_maker:half_spread_ppm=1,requote_ppm=1,requote_ticks=0,requote_ms=20"},
                           (char[]){"sma_cross"}};
    const venue_codec_cfg_t cfg = {.feeds_max = 1,
                                   .sink      = {.ctx = pass, .reserve = pass_reserve, .commit = pass_commit}};
    feed_ref_t              ref = {
                     .instrument_id = 1, .kind = ins->def.kind, .px_exp = ins->def.px_exp, .qty_exp = ins->def.qty_exp};
    memcpy(ref.symbol, ins->symbol, sizeof ref.symbol);
    const err_t err = offline_open(&pass->run, config, ins, 1, specs, 2, NULL);
    if (err) {
        return err;
    }
    pass->mem   = aligned_alloc(venue->align(), (venue->footprint(&cfg) + 4095) & ~(size_t)4095);
    pass->codec = pass->mem ? venue->create(pass->mem, &cfg) : NULL;
    return pass->codec ? venue->feed_add(pass->codec, &ref) : err_set(ERR_LIMIT, "out of memory");
}

static void pass_close(pass_t *pass)
{
    offline_close(&pass->run);
    free(pass->mem);
    free(pass->tape);
    free(pass);
}

static md_frame_t frame_of(const lines_t *l, size_t i)
{
    return (md_frame_t){.text          = l->text + l->line[i].at,
                        .len           = l->line[i].len,
                        .ts_recv_ns    = l->line[i].ts_recv_ns,
                        .instrument_id = 1};
}

static err_t pass_record(pass_t *pass, const venue_codec_t *venue, const lines_t *l)
{
    err_t err          = ERR_OK;
    pass->run.tape     = tape_add;
    pass->run.tape_ctx = pass;
    for (size_t i = 0; !err && i < l->count; i++) {
        const md_frame_t frame = frame_of(l, i);
        pass->line             = i;
        err                    = offline_begin(&pass->run, frame.ts_recv_ns);
        err                    = err ? err : venue->decode(pass->codec, &frame);
        err                    = err ? err : pass->err;
    }
    return err;
}

static err_t pass_measure(const bench_t *bench, pass_t *pass, const pass_t *first, const venue_codec_t *venue,
                          const lines_t *l, bench_series_t *with_order, bench_series_t *without)
{
    err_t       err   = ERR_OK;
    size_t      taped = 0;
    delay_msg_t gone;
    for (size_t i = 0; !err && i < l->count; i++) {
        const md_frame_t frame = frame_of(l, i);
        for (; !err && taped < first->count && first->tape[taped].line == i; taped++) {
            const taped_t *t = &first->tape[taped];
            err              = offline_input(&pass->run, t->now_ns, t->type, &t->body);
        }
        pass->run.now_ns     = frame.ts_recv_ns;
        pass->run.acted      = false;
        const uint64_t begin = bench_begin();
        const err_t    bad   = venue->decode(pass->codec, &frame);
        const uint64_t ticks = bench_end() - begin;
        bench_single(bench, pass->run.acted ? with_order : without, ticks);
        err = err ? err : bad ? bad : pass->err;
        while (delay_pop(pass->run.delay, INT64_MAX, &gone) == ERR_OK) { /* the first pass had the answers */
        }
    }
    return err;
}

static void report(const bench_t *bench, const char *name, const lines_t *l, uint64_t checksum, bench_series_t *series,
                   const char *tail)
{
    static const char *const on[BENCH_ON_MAX] = {"parse", "book", "strategies", "all risk", "order state", "P&L, hash"};
    char                     full[64];
    snprintf(full, sizeof full, "%s%s", name, tail);
    bench_result_t result = {.name     = full,
                             .unit     = "ns",
                             .regime   = "single",
                             .series   = series,
                             .checksum = checksum,
                             .bytes    = (uint32_t)(l->bytes / (l->count ? l->count : 1))};
    memcpy(result.on, on, sizeof on);
    bench_report(bench, &result);
}

static err_t measure(const bench_t *bench, const char *name, const lines_t *l, const instrument_t *ins,
                     const config_t *config)
{
    const venue_codec_t *venue      = venue_codec_find("binance");
    bench_series_t       with_order = {0}, without = {0};
    pass_t              *first = calloc(1, sizeof *first), *second = calloc(1, sizeof *second);
    err_t                err = first && second ? ERR_OK : err_set(ERR_LIMIT, "out of memory");
    if (err) {
        free(first);
        free(second);
        return err;
    }
    second->measured = true;
    err              = pass_open(first, venue, ins, config);
    err              = err ? err : pass_record(first, venue, l);
    err              = err ? err : pass_open(second, venue, ins, config);
    err              = err ? err : pass_measure(bench, second, first, venue, l, &with_order, &without);
    if (!err && engine_output_hash(first->run.engine) != engine_output_hash(second->run.engine)) {
        err = err_set(ERR_INTERNAL, "bench path: the two passes over %s differ", name);
    }
    if (!err && with_order.count == 0) {
        err = err_set(ERR_INTERNAL, "bench path: no order in %zu lines of %s", l->count, name);
    }
    if (!err) {
        report(bench, name, l, engine_output_hash(second->run.engine), &with_order, "");
        report(bench, name, l, engine_output_hash(second->run.engine), &without, ", no order");
    }
    bench_free(&with_order);
    bench_free(&without);
    pass_close(first);
    pass_close(second);
    return err;
}

static err_t recorded(const bench_t *bench, const char *file, const char *name, const char *market, const char *symbol,
                      uint64_t most, const config_t *config, const config_instruments_t *listed)
{
    char        path[4096];
    const char *shared = getenv("HWAL_SHARED");
    snprintf(path, sizeof path, "%s/data/binance/%s", shared ? shared : "../shared", file);
    if (access(path, R_OK) != 0) {
        bench_note(bench, "%s: not there, left out (HWAL_SHARED)", path);
        return ERR_OK;
    }
    instrument_t ins;
    err_t        err = ERR_NOT_FOUND;
    for (unsigned i = 0; i < listed->instruments_count && err; i++) {
        if (strcmp(listed->instruments[i].market, market) == 0 && strcmp(listed->instruments[i].symbol, symbol) == 0) {
            err                   = config_instrument(&listed->instruments[i], 1, &ins);
            ins.def.instrument_id = 1;
        }
    }
    lines_t l = {0};
    err       = err ? err_set(err, "bench path: no %s %s in instruments.yaml", market, symbol)
                    : lines_from_capture(&l, path, most);
    err       = err ? err : measure(bench, name, &l, &ins, config);
    free(l.text);
    free(l.line);
    return err;
}

err_t bench_path(bench_t *bench)
{
    const uint64_t        most   = bench->samples ? bench->samples * 10 : 100000;
    config_t             *config = NULL;
    config_instruments_t *listed = NULL;
    instrument_t          ins;
    lines_t               l = {0};
    char                  path[4096];
    err_t                 err = config_load(NULL, &config);
    err                       = err ? err : lines_from_flow(&l, bench->seed, most, &ins);
    err                       = err ? err : measure(bench, "generated", &l, &ins, config);
    free(l.text);
    free(l.line);
    if (!err && config_path("instruments.yaml", path, sizeof path)) {
        err = config_instruments_load(path, &listed);
        err =
            err ? err
                : recorded(bench, "usdm_btcusdt_20240808.gz", "usdm BTCUSDT", "usdm", "BTCUSDT", most, config, listed);
        err =
            err ? err
                : recorded(bench, "usdm_ethusdt_20240808.gz", "usdm ETHUSDT", "usdm", "ETHUSDT", most, config, listed);
        err =
            err ? err
                : recorded(bench, "spot_btcusdt_20240808.gz", "spot BTCUSDT", "spot", "BTCUSDT", most, config, listed);
        err = err ? err
                  : recorded(bench, "cm_btcusd_perp_20240808.gz", "coinm BTCUSD_PERP", "coinm", "BTCUSD_PERP", most,
                             config, listed);
    }
    if (listed) {
        config_instruments_free(listed);
    }
    config_free(config);
    return err;
}
