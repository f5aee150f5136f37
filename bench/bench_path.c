/* From a captured line to the order in the caller's buffer: parse, book, strategies, risk, order state, portfolio,
 * output hash, hand-over; everything on. gzip is not in it: all lines are in memory before the clock starts. What
 * counts is the lines that caused an order; the others are reported beside them.
 *
 * The simulated venue answers the orders, outside of the time measured: it reads each line after the engine did, with a
 * codec of its own. Recorded captures under HWAL_SHARED are used when they are there, a generated market always: its
 * messages are written as the venue would write them. */
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

typedef struct lane { /* one codec with its sink */
    offline_t *run;
    bool       timed; /* to the engine, else to the venue */
    md_buf_t   slot;
    void      *codec, *mem;
    err_t      err;
} lane_t;

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
typedef struct writer {
    char   text[65536];
    size_t len;
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
    w->len = 0;
    if (msg->type == MSG_BOOK_UPDATE) {
        const book_update_t *u      = msg->body;
        const level_t       *levels = msg->tail;
        if (u->flags & BOOK_FLAG_SNAPSHOT) {
            put(w, "{\"lastUpdateId\":%" PRIu64 ",\"E\":%lld,\"T\":%lld,", u->venue_seq, u->ts_event_ns / NS_PER_MS,
                u->ts_event_ns / NS_PER_MS);
            put_levels(w, ins, "bids", levels, u->bid_count);
            put(w, ",");
            put_levels(w, ins, "asks", levels + u->bid_count, u->ask_count);
            put(w, "}");
            return true;
        }
        put(w,
            "{\"stream\":\"bench@depth@0ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":%lld,\"T\":%lld,\"s\":\"%s\",\"U\":"
            "%" PRIu64 ",\"u\":%" PRIu64 ",\"pu\":%" PRIu64 ",",
            u->ts_event_ns / NS_PER_MS, u->ts_event_ns / NS_PER_MS, ins->symbol, u->venue_seq, u->venue_seq,
            u->venue_seq - 1);
        put_levels(w, ins, "b", levels, u->bid_count);
        put(w, ",");
        put_levels(w, ins, "a", levels + u->bid_count, u->ask_count);
        put(w, "}}");
        return true;
    }
    if (msg->type == MSG_TRADE) {
        const trade_t *t = msg->body;
        decimal_format(t->px, (unsigned)ins->def.px_exp, a);
        decimal_format(t->qty, (unsigned)ins->def.qty_exp, b);
        put(w,
            "{\"stream\":\"bench@trade\",\"data\":{\"e\":\"trade\",\"E\":%lld,\"T\":%lld,\"s\":\"%s\",\"t\":%" PRIu64
            ",\"p\":\"%s\",\"q\":\"%s\",\"X\":\"MARKET\",\"m\":%s}}",
            t->ts_event_ns / NS_PER_MS, t->ts_event_ns / NS_PER_MS, ins->symbol, t->trade_id, a, b,
            t->aggressor_side == SIDE_SELL ? "true" : "false");
        return true;
    }
    const top_t *t = msg->body;
    decimal_format(t->bid_px, (unsigned)ins->def.px_exp, a);
    decimal_format(t->bid_qty, (unsigned)ins->def.qty_exp, b);
    decimal_format(t->ask_px, (unsigned)ins->def.px_exp, c);
    decimal_format(t->ask_qty, (unsigned)ins->def.qty_exp, d);
    put(w,
        "{\"stream\":\"bench@bookTicker\",\"data\":{\"e\":\"bookTicker\",\"u\":%" PRIu64
        ",\"s\":\"%s\",\"b\":\"%s\",\"B\":\"%s\",\"a\":\"%s\","
        "\"A\":\"%s\",\"T\":%lld,\"E\":%lld}}",
        t->venue_seq, ins->symbol, a, b, c, d, t->ts_event_ns / NS_PER_MS, t->ts_event_ns / NS_PER_MS);
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

/* ---- measuring --------------------------------------------------------------------------------------------------- */
static md_slot_t lane_reserve(void *ctx, msg_type_t type)
{
    lane_t *lane = ctx;
    (void)type;
    return (md_slot_t){.body = &lane->slot.body, .levels = lane->slot.levels};
}

static void lane_commit(void *ctx, const msg_t *msg)
{
    lane_t     *lane = ctx;
    const err_t err  = lane->timed ? offline_to_engine(lane->run, msg) : offline_to_venue(lane->run, msg);
    lane->err        = lane->err ? lane->err : err;
}

static err_t lane_open(lane_t *lane, const venue_codec_t *venue, const instrument_t *ins)
{
    const venue_codec_cfg_t cfg = {.feeds_max = 1,
                                   .sink      = {.ctx = lane, .reserve = lane_reserve, .commit = lane_commit}};
    feed_ref_t              ref = {
                     .instrument_id = 1, .kind = ins->def.kind, .px_exp = ins->def.px_exp, .qty_exp = ins->def.qty_exp};
    memcpy(ref.symbol, ins->symbol, sizeof ref.symbol);
    lane->mem   = aligned_alloc(venue->align(), (venue->footprint(&cfg) + 4095) & ~(size_t)4095);
    lane->codec = lane->mem ? venue->create(lane->mem, &cfg) : NULL;
    return lane->codec ? venue->feed_add(lane->codec, &ref) : err_set(ERR_LIMIT, "out of memory");
}

static err_t measure(const bench_t *bench, const char *name, const lines_t *l, const instrument_t *ins,
                     const config_t *config)
{
    static offline_t     run;
    const venue_codec_t *venue      = venue_codec_find("binance");
    bench_series_t       with_order = {0}, without = {0};
    lane_t               timed = {.run = &run, .timed = true}, other = {.run = &run};
    err_t                err = offline_open(&run, config, ins, 1, NULL, 0, NULL);
    err                      = err ? err : lane_open(&timed, venue, ins);
    err                      = err ? err : lane_open(&other, venue, ins);
    for (size_t i = 0; !err && i < l->count; i++) {
        const line_t    *line  = &l->line[i];
        const md_frame_t frame = {
            .text = l->text + line->at, .len = line->len, .ts_recv_ns = line->ts_recv_ns, .instrument_id = 1};
        err                  = offline_begin(&run, line->ts_recv_ns);
        run.acted            = false;
        const uint64_t begin = bench_begin();
        const err_t    bad   = venue->decode(timed.codec, &frame);
        const uint64_t ticks = bench_end() - begin;
        bench_single(bench, run.acted ? &with_order : &without, ticks);
        err = err ? err : bad ? bad : timed.err;
        err = err ? err : venue->decode(other.codec, &frame);
        err = err ? err : other.err;
    }
    if (!err && with_order.count == 0) {
        err = err_set(ERR_INTERNAL, "bench path: no order in %zu lines of %s", l->count, name);
    }
    const char *const on[] = {"parse", "book", "strategies", "all risk", "order state", "P&L, hash"};
    char              other_name[64];
    snprintf(other_name, sizeof other_name, "%s, no order", name);
    bench_result_t result = {.name     = name,
                             .unit     = "ns",
                             .regime   = "single",
                             .series   = &with_order,
                             .checksum = err ? 0 : engine_output_hash(run.engine),
                             .bytes    = (uint32_t)(l->bytes / (l->count ? l->count : 1))};
    memcpy(result.on, on, sizeof on);
    if (!err) {
        bench_report(bench, &result);
        result.name   = other_name;
        result.series = &without;
        bench_report(bench, &result);
    }
    bench_free(&with_order);
    bench_free(&without);
    free(timed.mem);
    free(other.mem);
    offline_close(&run);
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
