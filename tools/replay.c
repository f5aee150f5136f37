/* hwal replay: recorded captures, or a generated market, through the same core as live trading. One price can be
 * followed here in order: capture_next (a line) -> decode (text to integers) -> slot_commit -> offline_market (venue,
 * engine, orders). */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "adapters/capture/capture.h"
#include "adapters/venue.h"
#include "core/types/decimal.h"
#include "tools/capture_def.h"
#include "tools/command.h"
#include "tools/config.h"
#include "tools/generated.h"
#include "tools/offline.h"
#include "tools/oracle.h"
#include "tools/replay_bars.h"
#include "tools/replay_candles.h"
#include "tools/replay_dbn.h"
#include "tools/replay_lobster.h"
#include "tools/replay_recording.h"
#include "tools/summary.h"
#include "tools/verify.h"

#define REPLAY_ERRORS_MAX 20u /* sentences kept; all are counted */

typedef struct replay_feed {
    summary_feed_t summary;
    instrument_t   ins;
    oracle_t       oracle;
    bar_series_t   bars;
} replay_feed_t;

typedef struct replay {
    /* options */
    const char  *config_file;
    const char  *queue; /* NULL: as configured */
    const char  *latency[DELAY_LEGS];
    const char  *instruments_file;
    char        *strategies[CONFIG_STRATEGIES_MAX];
    uint32_t     strategy_count;
    const char  *bars;   /* rule and size, NULL = none */
    const char  *csv;    /* where the bars go, NULL = nowhere, "-" = stdout */
    uint8_t      market; /* forced kind, 0 = as it looks */
    double       speed;  /* 0 = as fast as possible */
    bool         check, json, quiet;
    bool         models; /* --queue or --latency */
    bool         generate;
    int64_t      seconds, rate, seed; /* of the generated market; -1: as configured */
    char *const *files;
    uint32_t     file_count;
    /* state */
    config_t             *config;
    config_instruments_t *listed;
    offline_t             run;
    const venue_codec_t  *venue;
    capture_def_t         def;
    void                 *codec[CAPTURE_KINDS];
    replay_feed_t         feeds[OFFLINE_INSTRUMENTS_MAX];
    uint32_t              feed_count;
    md_buf_t              slot;
    err_t                 sink_err; /* of the engine side, inside decode */
    json_t               *errors, *notes;
    uint64_t              error_count, lines, lines_bad, bytes;
    int                   code; /* exit code when nothing can be replayed */
    uint64_t              compressed_total;
} replay_t;

static void usage(void)
{
    fputs(
        "usage: hwal replay FILE... [OPTIONS]\n"
        "       hwal replay --generate [OPTIONS]\n"
        "       hwal replay --verify [--instance NAME | --dir DIR] (see --verify --help)\n"
        "       hwal replay FILE.hwr [OPTIONS] (a recording of `hwal record`; see FILE.hwr --help)\n"
        "       hwal replay --lobster MESSAGES --book ORDERBOOK (see --lobster --help)\n"
        "       hwal replay FILE.dbn[.zst]... (see --dbn --help)\n"
        "       hwal replay --candles FILE... (see --candles --help)\n\n"
        "Replay recorded captures (lines of `<receive ns> <JSON>`, gzip or plain) through order book, strategies, "
        "risk and\n"
        "a simulated venue. Several files are one stream, merged by receive time. With --generate a seeded market "
        "instead,\n"
        "the same to the byte each time.\n\n"
        "  --strategy SPEC    name or name:key=value,... ; may be repeated (default: those of the configuration,\n"
        "                     else market_maker and sma_cross; `none` for none)\n"
        "  --config FILE      settings (see `hwal config show`)\n"
        "  --queue MODEL      our place among resting orders: risk_averse, prob_power:N, prob_power2:N, "
        "prob_power3:N,\n"
        "                     prob_log, prob_log2, optimistic, l3 (default: venue.queue)\n"
        "  --latency LEG=L    of place, amend, cancel, ack, fill or feed: 200us, or \"histogram FILE ROLE.NAME "
        "[SCALE]\"\n"
        "                     of `hwal lat --json --buckets N`; may be repeated (default: latency, venue)\n"
        "  --instruments FILE instruments with scales and ticks (default configs/instruments.yaml)\n"
        "  --market KIND      spot, usdm or coinm; default: what the messages look like\n"
        "  --speed N          N times the recorded pace; 1 = recorded pace; max = as fast as possible (default)\n"
        "  --check            compare the book with the venue's best quotes after every diff\n"
        "  --bars RULE:SIZE   trades as bars: time:60s, ticks:1000, volume:10, value:1000000; they must add up to the "
        "trades\n"
        "  --csv FILE         the bars as CSV, - for stdout\n"
        "  --generate         a generated market (default settings: configs/demo.yaml)\n"
        "  --seconds N        of its time; --rate N: its events a second; --seed N\n"
        "  --json             one JSON object on stdout\n"
        "  --quiet            no progress on the terminal\n\n"
        "Exit code: 0 ok; 1 the data has faults (they are named) ; 2 usage.\n\n"
        "examples:\n"
        "  hwal replay btcusdt_20240808.gz btcusdt_20240809.gz --check\n"
        "  hwal replay btcusdt_20240808.gz --strategy market_maker:notional=5000 --json | jq .pnl\n"
        "  hwal replay btcusdt_20240808.gz --speed 10\n"
        "  hwal replay btcusdt_20240808.gz --bars time:60s --csv - --strategy none\n"
        "  hwal replay --generate --seconds 60 --rate 50000 --seed 7 --json | jq .pnl\n",
        stdout);
}

/* The whole number of --name, which getopt holds; false when it is none, and that was said. */
static bool number(const char *name, int64_t low, int64_t high, int64_t *out)
{
    const bool good = decimal_parse(optarg, strlen(optarg), 0, out) == ERR_OK && *out >= low && *out <= high;
    if (!good) {
        command_error("replay", EXIT_USAGE, "--%s \"%s\" is no whole number from %" PRId64 " to %" PRId64, name, optarg,
                      low, high);
    }
    return good;
}

/* Options that go with one kind of market only. */
static int options_fit(const replay_t *r)
{
    const bool generated = r->seconds >= 0 || r->rate >= 0 || r->seed >= 0;
    const bool recorded  = r->instruments_file || r->market || r->speed > 0 || r->check || r->bars || r->models;
    if (r->generate) {
        if (r->file_count) {
            return command_error("replay", EXIT_USAGE, "\"%s\": --generate makes its own market", r->files[0]);
        }
        return recorded
                   ? command_error("replay", EXIT_USAGE,
                                   "--instruments, --market, --speed, --check, --bars, --queue and --latency go with "
                                   "capture files only")
                   : EXIT_OK;
    }
    if (r->csv && (!r->bars || (r->json && strcmp(r->csv, "-") == 0))) {
        return command_error("replay", EXIT_USAGE,
                             r->bars ? "--json and --csv - both want stdout" : "--csv goes with --bars");
    }
    if (generated) {
        return command_error("replay", EXIT_USAGE, "--seconds, --rate and --seed go with --generate only");
    }
    if (r->file_count == 0) {
        return command_error("replay", EXIT_USAGE, "no capture file given, and no --generate (--help shows examples)");
    }
    return r->file_count <= CAPTURE_FILES_MAX
               ? EXIT_OK
               : command_error("replay", EXIT_USAGE, "%u files, at most %u are one stream", r->file_count,
                               CAPTURE_FILES_MAX);
}

/* LEG=SPEC; false when there is no such leg. The text is judged with the configuration. */
static bool latency_option(replay_t *r, const char *text)
{
    for (delay_leg_t leg = DELAY_PLACE; leg < DELAY_LEGS; leg++) {
        const size_t len = strlen(delay_leg_name(leg));
        if (strncmp(text, delay_leg_name(leg), len) == 0 && text[len] == '=') {
            r->latency[leg] = text + len + 1;
            return true;
        }
    }
    return false;
}

/* Options that stand before the configuration. */
static err_t options_set(replay_t *r)
{
    err_t err = r->queue ? config_set(r->config, "venue", "queue", r->queue) : ERR_OK;
    for (delay_leg_t leg = DELAY_PLACE; !err && leg < DELAY_LEGS; leg++) {
        err = r->latency[leg] ? config_set(r->config, "latency", delay_leg_name(leg), r->latency[leg]) : ERR_OK;
    }
    return err;
}

static int options(replay_t *r, int argc, char **argv)
{
    enum {
        OPT_STRATEGY = 256,
        OPT_CONFIG,
        OPT_QUEUE,
        OPT_LATENCY,
        OPT_INSTRUMENTS,
        OPT_MARKET,
        OPT_SPEED,
        OPT_CHECK,
        OPT_BARS,
        OPT_CSV,
        OPT_GENERATE,
        OPT_SECONDS,
        OPT_RATE,
        OPT_SEED,
        OPT_JSON,
        OPT_QUIET
    };
    static const struct option list[] = {{"strategy", required_argument, NULL, OPT_STRATEGY},
                                         {"config", required_argument, NULL, OPT_CONFIG},
                                         {"queue", required_argument, NULL, OPT_QUEUE},
                                         {"latency", required_argument, NULL, OPT_LATENCY},
                                         {"instruments", required_argument, NULL, OPT_INSTRUMENTS},
                                         {"market", required_argument, NULL, OPT_MARKET},
                                         {"speed", required_argument, NULL, OPT_SPEED},
                                         {"check", no_argument, NULL, OPT_CHECK},
                                         {"bars", required_argument, NULL, OPT_BARS},
                                         {"csv", required_argument, NULL, OPT_CSV},
                                         {"generate", no_argument, NULL, OPT_GENERATE},
                                         {"seconds", required_argument, NULL, OPT_SECONDS},
                                         {"rate", required_argument, NULL, OPT_RATE},
                                         {"seed", required_argument, NULL, OPT_SEED},
                                         {"json", no_argument, NULL, OPT_JSON},
                                         {"quiet", no_argument, NULL, OPT_QUIET},
                                         {"help", no_argument, NULL, 'h'},
                                         {NULL, 0, NULL, 0}};
    int                        opt;
    int64_t                    thousandths;
    r->seconds = r->rate = r->seed = -1;
    opterr                         = 0;
    while ((opt = getopt_long(argc, argv, "h", list, NULL)) != -1) {
        switch (opt) {
        case OPT_STRATEGY:
            if (command_strategy_help(optarg)) {
                return -1;
            }
            if (r->strategy_count == CONFIG_STRATEGIES_MAX) {
                return command_error("replay", EXIT_USAGE, "more than %u strategies", CONFIG_STRATEGIES_MAX);
            }
            r->strategies[r->strategy_count++] = optarg;
            break;
        case OPT_CONFIG: r->config_file = optarg; break;
        case OPT_QUEUE:
            r->queue  = optarg;
            r->models = true;
            break;
        case OPT_LATENCY:
            r->models = true;
            if (!latency_option(r, optarg)) {
                return command_error(
                    "replay", EXIT_USAGE,
                    "--latency \"%s\" does not begin with one of: place= amend= cancel= ack= fill= feed=", optarg);
            }
            break;
        case OPT_INSTRUMENTS: r->instruments_file = optarg; break;
        case OPT_MARKET:
            r->market = capture_market_kind(optarg);
            if (!r->market) {
                return command_error("replay", EXIT_USAGE, "--market \"%s\" is none of spot, usdm, coinm", optarg);
            }
            break;
        case OPT_SPEED:
            thousandths = 0; /* max: as fast as possible */
            if (strcmp(optarg, "max") != 0 && (decimal_parse(optarg, strlen(optarg), 3, &thousandths) != ERR_OK ||
                                               thousandths < 1 || thousandths > 1000000000)) {
                return command_error("replay", EXIT_USAGE, "--speed \"%s\" is neither max nor 0.001 to 1000000",
                                     optarg);
            }
            r->speed = (double)thousandths / 1000;
            break;
        case OPT_CHECK: r->check = true; break;
        case OPT_BARS: r->bars = optarg; break;
        case OPT_CSV: r->csv = optarg; break;
        case OPT_GENERATE: r->generate = true; break;
        case OPT_SECONDS:
            if (!number("seconds", 1, 86400, &r->seconds)) {
                return EXIT_USAGE;
            }
            break;
        case OPT_RATE:
            if (!number("rate", 1, 1000000, &r->rate)) {
                return EXIT_USAGE;
            }
            break;
        case OPT_SEED:
            if (!number("seed", 0, INT64_MAX, &r->seed)) {
                return EXIT_USAGE;
            }
            break;
        case OPT_JSON: r->json = true; break;
        case OPT_QUIET: r->quiet = true; break;
        case 'h': usage(); return -1;
        default: return command_unknown("replay", argv);
        }
    }
    r->files      = argv + optind;
    r->file_count = (uint32_t)(argc - optind);
    return options_fit(r);
}

/* ---- what went wrong, kept for the end --------------------------------------------------------------------------- */
static void finding(replay_t *r, const char *text)
{
    if (r->error_count++ < REPLAY_ERRORS_MAX) {
        json_array_append_new(r->errors, command_text(text));
    }
}

static void note(replay_t *r, const char *text)
{
    json_array_append_new(r->notes, command_text(text));
}

/* ---- instruments ------------------------------------------------------------------------------------------------- */
static void note_inferred(void *ctx, const char *text)
{
    note(ctx, text);
}

static err_t feeds_open(replay_t *r)
{
    const err_t err =
        capture_def_open(&r->def, r->venue->name, r->listed, r->files, r->file_count, r->market, note_inferred, r);
    for (uint32_t i = 0; !err && i < r->def.count; i++) {
        replay_feed_t *feed = &r->feeds[i];
        feed->ins           = r->def.ins[i];
        feed->summary       = (summary_feed_t){.ins = &feed->ins, .market = capture_market_name(feed->ins.def.kind)};
        if (r->bars) {
            r->code       = EXIT_USAGE;
            const err_t e = replay_bars_open(&feed->bars, r->bars, &feed->ins);
            if (e) {
                return e;
            }
            r->code            = EXIT_FINDING;
            feed->summary.bars = &feed->bars;
        }
    }
    r->feed_count = err ? 0 : r->def.count;
    return err;
}

/* ---- the way of a message ---------------------------------------------------------------------------------------- */
static md_slot_t slot_reserve(void *ctx, msg_type_t type)
{
    replay_t *r = ctx;
    (void)type;
    return (md_slot_t){.body = &r->slot.body, .levels = r->slot.levels};
}

static void oracle_collect(replay_t *r, const msg_t *msg)
{
    oracle_quote_t q;
    err_t          err = ERR_OK;
    if (msg->type == MSG_TOP) {
        const top_t *top = msg->body;
        q                = (oracle_quote_t){top->venue_seq, top->bid_px, top->bid_qty, top->ask_px, top->ask_qty};
        err              = oracle_quote(&r->feeds[top->instrument_id - 1].oracle, &q);
    } else if (msg->type == MSG_BOOK_UPDATE) {
        const book_update_t *upd  = msg->body;
        const book_t        *book = engine_book(r->run.engine, upd->instrument_id);
        if (!(upd->flags & BOOK_FLAG_LAST) || (upd->flags & BOOK_FLAG_SNAPSHOT)) {
            return;
        }
        if (book_best(book, &q.bid_px, &q.bid_qty, &q.ask_px, &q.ask_qty)) {
            q.id = upd->venue_seq;
            err  = oracle_book(&r->feeds[upd->instrument_id - 1].oracle, &q);
        }
    }
    r->sink_err = r->sink_err ? r->sink_err : err;
}

/* A trade on the tape: what may be odd about it is counted, and it goes into its bar. */
static err_t trade_collect(replay_t *r, const trade_t *trade)
{
    const quality_limits_t limits = QUALITY_LIMITS_USUAL;
    replay_feed_t         *feed   = &r->feeds[trade->instrument_id - 1];
    const int64_t          ts_ns  = trade->ts_event_ns ? trade->ts_event_ns : trade->ts_recv_ns;
    (void)quality_trade(&feed->summary.tape, &limits, ts_ns, trade->px, trade->qty);
    return r->bars ? replay_bars_trade(&feed->bars, ts_ns, trade->px, trade->qty) : ERR_OK;
}

static void slot_commit(void *ctx, const msg_t *msg)
{
    replay_t *r = ctx;
    if (!r->sink_err) {
        r->sink_err = offline_market(&r->run, msg);
    }
    if (r->check && !r->sink_err) {
        oracle_collect(r, msg);
    }
    if (msg->type == MSG_TRADE && !r->sink_err) {
        r->sink_err = trade_collect(r, msg->body);
    }
}

static err_t codecs_open(replay_t *r)
{
    const venue_codec_cfg_t cfg = {.feeds_max = OFFLINE_INSTRUMENTS_MAX,
                                   .sink      = {.ctx = r, .reserve = slot_reserve, .commit = slot_commit}};
    for (uint32_t i = 0; i < r->feed_count; i++) {
        const instrument_t *ins  = &r->feeds[i].ins;
        const uint8_t       kind = ins->def.kind;
        if (!r->codec[kind]) {
            const size_t bytes = r->venue->footprint(&cfg);
            void        *mem   = bytes ? aligned_alloc(r->venue->align(), (bytes + 4095) & ~(size_t)4095) : NULL;
            r->codec[kind]     = mem ? r->venue->create(mem, &cfg) : NULL;
            if (!r->codec[kind]) {
                return err_wrap(ERR_LIMIT, "%s codec", r->venue->name);
            }
        }
        feed_ref_t ref = {.instrument_id = i + 1, .kind = kind, .px_exp = ins->def.px_exp, .qty_exp = ins->def.qty_exp};
        memcpy(ref.symbol, ins->symbol, sizeof ref.symbol);
        const err_t err = r->venue->feed_add(r->codec[kind], &ref);
        if (err) {
            return err;
        }
    }
    return ERR_OK;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */
static int64_t clock_mono_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void pace(const replay_t *r, int64_t began_wall_ns, int64_t first_ns, int64_t line_ns)
{
    const int64_t due  = began_wall_ns + (int64_t)((double)(line_ns - first_ns) / r->speed);
    int64_t       wait = due - clock_mono_ns();
    if (wait > 0) {
        const struct timespec t = {.tv_sec = wait / NS_PER_S, .tv_nsec = wait % NS_PER_S};
        nanosleep(&t, NULL);
    }
}

static void progress(const replay_t *r, int64_t began_wall_ns, const capture_line_t *line)
{
    const double s = (double)(clock_mono_ns() - began_wall_ns) / 1e9;
    fprintf(stderr,
            "\r%9" PRIu64 " lines  %6.1f MB  %9.0f lines/s  orders %" PRIu64 "  fills %" PRIu64
            "  file %u/%u line %" PRIu64 " ",
            r->lines, (double)r->bytes / 1e6, s > 0 ? (double)r->lines / s : 0.0, r->run.counts.orders,
            r->run.counts.fills, line->file + 1, r->file_count, line->line_no);
}

/* A file lost a line, or its end: what was in it nobody knows, so no book of it is trusted until a snapshot. */
static void lose(replay_t *r, uint32_t file, int64_t ts_recv_ns)
{
    r->venue->lost(r->codec[r->def.file_kind[file]], r->def.file_instrument[file], FEED_REASON_LOST, ts_recv_ns);
}

/* The engine's own book found a fault that the codec cannot see (crossed, off the tick grid): name the line, and let
 * the codec know that the book needs a new snapshot. */
static void book_faults(replay_t *r, const capture_line_t *line)
{
    char text[1024];
    for (uint32_t i = 0; i < r->feed_count; i++) {
        replay_feed_t *feed  = &r->feeds[i];
        const book_t  *book  = engine_book(r->run.engine, i + 1);
        void          *codec = r->codec[feed->ins.def.kind];
        if (book_health(book) != FEED_BROKEN || r->venue->feed_stats(codec, i + 1)->health != FEED_LIVE) {
            continue;
        }
        feed->summary.book_faults++;
        snprintf(text, sizeof text, "%s line %" PRIu64 ": %s: the book is BROKEN (%s): %s", r->files[line->file],
                 line->line_no, feed->ins.symbol, feed_reason_str(book_reason(book)), err_msg());
        finding(r, text);
        r->venue->lost(codec, i + 1, book_reason(book), line->ts_recv_ns);
    }
}

/* One line through everything. An error is one of ours; what is wrong with the data is a finding. */
static err_t line_apply(replay_t *r, const capture_line_t *line)
{
    const uint64_t   alarms = r->run.counts.alarms_by_kind[ALARM_FEED];
    const md_frame_t frame  = {.text          = line->text,
                               .len           = line->len,
                               .ts_recv_ns    = line->ts_recv_ns,
                               .instrument_id = r->def.file_instrument[line->file]};
    const uint64_t   began  = __rdtsc();
    const err_t      err    = offline_begin(&r->run, line->ts_recv_ns);
    if (err) {
        return err;
    }
    const uint64_t nobody = r->venue->stats(r->codec[r->def.file_kind[line->file]])->unassigned;
    r->run.acted          = false;
    const err_t    bad    = r->venue->decode(r->codec[r->def.file_kind[line->file]], &frame);
    const uint64_t ticks  = __rdtsc() - began;
    histogram_record(r->run.event, ticks, line->line_no);
    if (r->run.acted) {
        histogram_record(r->run.decide, ticks, line->line_no);
    }
    if (bad && !r->sink_err) {
        err_wrap(bad, "%s line %" PRIu64, r->files[line->file], line->line_no);
        finding(r, err_msg());
        if (r->venue->stats(r->codec[r->def.file_kind[line->file]])->unassigned != nobody) {
            lose(r, line->file, line->ts_recv_ns); /* too garbled to say whose it is */
        }
    } else if (r->run.counts.alarms_by_kind[ALARM_FEED] != alarms) {
        book_faults(r, line);
    }
    return r->sink_err;
}

static err_t loop(replay_t *r, capture_t *cap, summary_t *sum)
{
    const bool     live      = !r->quiet && isatty(STDERR_FILENO);
    const int64_t  began     = clock_mono_ns();
    const uint64_t tsc_began = __rdtsc();
    int64_t        first_ns = 0, last_ns = 0;
    capture_line_t line = {0};
    err_t          err  = ERR_OK, read;
    while (!err && ((read = capture_next(cap, &line)) == ERR_OK || (read != ERR_END && line.fault))) {
        if (read) {
            r->lines_bad++;
            finding(r, err_msg());
            lose(r, line.file, r->run.now_ns);
            err = r->sink_err;
            continue;
        }
        first_ns = r->lines++ == 0 ? line.ts_recv_ns : first_ns;
        last_ns  = line.ts_recv_ns;
        r->bytes += line.len;
        if (r->speed > 0) {
            pace(r, began, first_ns, last_ns);
        }
        if (live && r->lines % 16384 == 0) {
            progress(r, began, &line);
        }
        err = line_apply(r, &line);
    }
    if (live) {
        fprintf(stderr, "\r%*s\r", 110, "");
    }
    if (!err && read != ERR_END) { /* the stream is cut: all files end here */
        finding(r, err_msg());
        for (uint32_t f = 0; f < r->file_count; f++) {
            lose(r, f, r->run.now_ns);
        }
        err = r->sink_err;
    }
    err                 = err ? err : offline_end(&r->run);
    sum->seconds_wall   = (double)(clock_mono_ns() - began) / 1e9;
    sum->ns_per_tsc     = sum->seconds_wall * 1e9 / (double)(__rdtsc() - tsc_began);
    sum->seconds_market = (double)(last_ns - first_ns) / 1e9;
    return err;
}

/* Faults of a feed that are known only at the end. */
static void judge(replay_t *r, replay_feed_t *feed)
{
    const uint32_t      id    = feed->ins.def.instrument_id;
    const book_t       *book  = engine_book(r->run.engine, id);
    const feed_stats_t *stats = r->venue->feed_stats(r->codec[feed->ins.def.kind], id);
    char                text[256];
    feed->summary.stats = *stats;
    if (stats->trade_gaps) {
        snprintf(text, sizeof text, "%s: trade ids jump %" PRIu64 " times: trades are missing", feed->ins.symbol,
                 stats->trade_gaps);
        note(r, text);
    }
    if (stats->snapshots == 0) {
        snprintf(text, sizeof text, "%s: no snapshot in the capture, so there was never a book to trade on",
                 feed->ins.symbol);
        finding(r, text);
    } else if (book_health(book) == FEED_BROKEN || book_health(book) == FEED_RECOVERING) {
        snprintf(text, sizeof text, "%s: the book ends %s (%s)", feed->ins.symbol, feed_health_str(book_health(book)),
                 feed_reason_str(book_reason(book)));
        finding(r, text);
    }
    if (r->check) {
        feed->summary.oracle     = oracle_compare(&feed->oracle);
        const oracle_result_t *o = &feed->summary.oracle;
        /* spot diffs come every 100 ms and the quote stream may already have moved on: one in a thousand is its nature
         */
        const uint64_t allowed = feed->ins.def.kind == INSTRUMENT_SPOT ? o->checked / 1000 : 0;
        if (o->mismatched > allowed) {
            snprintf(text, sizeof text,
                     "%s: the book differs from the venue's best quotes after %" PRIu64 " of %" PRIu64
                     " diffs, first at id %" PRIu64,
                     feed->ins.symbol, o->mismatched, o->checked, o->first_mismatch_id);
            finding(r, text);
        }
    }
}

/* All series to their end, and into the file that was asked for. */
static err_t bars_end(replay_t *r)
{
    err_t err = ERR_OK;
    for (uint32_t i = 0; r->bars && i < r->feed_count && !err; i++) {
        err = replay_bars_end(&r->feeds[i].bars);
    }
    if (err || !r->csv) {
        return err;
    }
    FILE *to = strcmp(r->csv, "-") == 0 ? stdout : fopen(r->csv, "we");
    if (!to) {
        return err_set(ERR_IO, "--csv %s: %s", r->csv, strerror(errno));
    }
    for (uint32_t i = 0; i < r->feed_count; i++) {
        replay_bars_csv(to, &r->feeds[i].bars, r->feeds[i].summary.market, i == 0);
    }
    const bool bad = ferror(to) || fflush(to) != 0;
    if (to != stdout && fclose(to) != 0) {
        return err_set(ERR_IO, "--csv %s: %s", r->csv, strerror(errno));
    }
    return bad ? err_set(ERR_IO, "--csv %s: cannot be written", r->csv) : ERR_OK;
}

static err_t replay_open(replay_t *r, capture_t **cap)
{
    char path[4096];
    r->code   = EXIT_USAGE;
    err_t err = config_load(r->config_file, &r->config);
    err       = err ? err : options_set(r);
    if (!err && (r->instruments_file || config_path("instruments.yaml", path, sizeof path))) {
        err = config_instruments_load(r->instruments_file ? r->instruments_file : path, &r->listed);
    }
    if (err) {
        return err;
    }
    r->venue = venue_codec_find("binance");
    r->code  = EXIT_FINDING;
    err      = r->venue ? feeds_open(r) : err_set(ERR_INTERNAL, "no codec \"binance\"");
    if (err) {
        return err;
    }
    instrument_t *ins = calloc(r->feed_count ? r->feed_count : 1, sizeof *ins);
    for (uint32_t i = 0; ins && i < r->feed_count; i++) {
        ins[i] = r->feeds[i].ins;
    }
    err = ins ? offline_open(&r->run, r->config, ins, r->feed_count, r->strategies, r->strategy_count, NULL)
              : err_set(ERR_LIMIT, "out of memory");
    free(ins);
    if (!err && r->check && r->run.feed_delayed) {
        err = err_set(ERR_CONFIG, "--check compares the engine's book as it is told: it does not go with latency.feed");
    }
    r->code = err == ERR_CONFIG ? EXIT_USAGE : r->code;
    if (!err) {
        err = codecs_open(r);
    }
    if (!err) {
        const size_t bytes = capture_footprint(r->file_count);
        void        *mem   = aligned_alloc(capture_align(), (bytes + 4095) & ~(size_t)4095);
        err                = mem ? capture_open(mem, (const char *const *)r->files, r->file_count, cap)
                                 : err_set(ERR_LIMIT, "out of memory");
    }
    return err;
}

static void replay_close(replay_t *r, capture_t *cap)
{
    if (cap) {
        capture_close(cap);
        free(cap);
    }
    for (uint32_t i = 0; i < r->feed_count; i++) {
        oracle_free(&r->feeds[i].oracle);
        replay_bars_free(&r->feeds[i].bars);
    }
    for (int k = 0; k < (int)CAPTURE_KINDS; k++) {
        free(r->codec[k]);
    }
    offline_close(&r->run);
    if (r->listed) {
        config_instruments_free(r->listed);
    }
    config_free(r->config);
    json_decref(r->errors);
    json_decref(r->notes);
    free(r);
}

static void print_json(const json_t *object)
{
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    fputc('\n', stdout);
}

/* Nothing could be replayed: still one JSON object, so that a program always has something to read. */
static int refused(const replay_t *r)
{
    if (r->json) {
        json_t *object = json_pack("{s:s, s:[o]}", "command", "replay", "errors", command_text(err_msg()));
        print_json(object);
        json_decref(object);
    }
    return command_error("replay", r->code, "%s", err_msg());
}

int command_replay(int argc, char **argv)
{
    if (verify_asked(argc, argv)) {
        return verify_command(argc, argv);
    }
    if (replay_lobster_asked(argc, argv)) {
        return replay_lobster_command(argc, argv);
    }
    if (replay_candles_asked(argc, argv)) {
        return replay_candles_command(argc, argv);
    }
    if (replay_dbn_asked(argc, argv)) {
        return replay_dbn_command(argc, argv);
    }
    if (replay_recording_asked(argc, argv)) {
        return replay_recording_command(argc, argv);
    }
    replay_t *r = calloc(1, sizeof *r);
    if (!r) {
        return command_error("replay", EXIT_FINDING, "out of memory");
    }
    const int rc = options(r, argc, argv);
    if (rc) {
        free(r);
        return rc < 0 ? EXIT_OK : rc;
    }
    if (r->generate) {
        const generated_options_t o    = {.config_file    = r->config_file,
                                          .strategies     = r->strategies,
                                          .strategy_count = r->strategy_count,
                                          .seconds        = r->seconds,
                                          .rate           = r->rate,
                                          .seed           = r->seed,
                                          .json           = r->json,
                                          .quiet          = r->quiet};
        const int                 code = generated_replay(&o);
        free(r);
        return code;
    }
    r->errors      = json_array();
    r->notes       = json_array();
    capture_t *cap = NULL;
    summary_t  sum = {.command = "replay", .run = &r->run, .check = r->check, .errors = r->errors, .notes = r->notes};
    err_t      err = replay_open(r, &cap);
    if (!err) {
        err = loop(r, cap, &sum);
    }
    if (!err) {
        err = bars_end(r);
    }
    if (err) {
        const int code = refused(r);
        replay_close(r, cap);
        return code;
    }
    summary_feed_t feeds[OFFLINE_INSTRUMENTS_MAX];
    for (uint32_t i = 0; i < r->feed_count; i++) {
        judge(r, &r->feeds[i]);
        feeds[i] = r->feeds[i].summary;
    }
    if (r->error_count > REPLAY_ERRORS_MAX) {
        char text[64];
        snprintf(text, sizeof text, "and %" PRIu64 " more", r->error_count - REPLAY_ERRORS_MAX);
        json_array_append_new(r->errors, command_text(text));
    }
    sum.feeds      = feeds;
    sum.feed_count = r->feed_count;
    sum.events     = r->lines;
    sum.bytes      = r->bytes;
    sum.lines_bad  = r->lines_bad;
    if (r->json) {
        json_t *object = summary_json(&sum);
        print_json(object);
        json_decref(object);
    } else {
        FILE *to = r->csv && strcmp(r->csv, "-") == 0 ? stderr : stdout; /* stdout is the CSV then */
        summary_text(&sum, to, command_colour(to));
    }
    size_t  i;
    json_t *text;
    json_array_foreach(r->errors, i, text)
    {
        command_error("replay", EXIT_FINDING, "%s", json_string_value(text));
    }
    const bool clean = r->error_count == 0;
    replay_close(r, cap);
    return clean ? EXIT_OK : EXIT_FINDING;
}
