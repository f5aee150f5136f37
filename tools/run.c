/* hwal run: the engine on a generated market, with the built-in venue and strategies: no keys, no network. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "core/types/decimal.h"
#include "tools/command.h"
#include "tools/offline.h"
#include "tools/summary.h"

#define RUN_START_NS 1700000000000000000LL /* generated time has a fixed beginning, so that runs repeat to the byte */
#define RUN_SLICE_NS (50 * NS_PER_MS)
#define RUN_VENUE_ID 1u

typedef struct run_options {
    const char *config_file;
    char       *strategies[CONFIG_STRATEGIES_MAX];
    uint32_t    strategy_count;
    int64_t     seconds, rate, seed; /* -1: as configured */
    bool        json, quiet;
} run_options_t;

static void usage(void)
{
    fputs("usage: hwal run [OPTIONS]\n\n"
          "Trade a generated market (seeded, repeatable) with the built-in venue, as fast as the machine goes, and "
          "print a\n"
          "summary. Nothing leaves the process.\n\n"
          "  --config FILE      settings (default configs/demo.yaml; `hwal config show` lists them)\n"
          "  --strategy SPEC    name or name:key=value,... ; may be repeated (`none` for none)\n"
          "  --seconds N        of market time\n"
          "  --rate N           market events a second of market time\n"
          "  --seed N           of the market\n"
          "  --json             one JSON object on stdout\n"
          "  --quiet            no progress on the terminal\n\n"
          "examples:\n"
          "  hwal run --config configs/demo.yaml\n"
          "  hwal run --seconds 60 --rate 50000 --seed 7 --json | jq .pnl\n"
          "  hwal run --strategy market_maker:help\n",
          stdout);
}

static int options(run_options_t *o, int argc, char **argv)
{
    enum { OPT_CONFIG = 256, OPT_STRATEGY, OPT_SECONDS, OPT_RATE, OPT_SEED, OPT_JSON, OPT_QUIET };
    static const struct option list[] = {{"config", required_argument, NULL, OPT_CONFIG},
                                         {"strategy", required_argument, NULL, OPT_STRATEGY},
                                         {"seconds", required_argument, NULL, OPT_SECONDS},
                                         {"rate", required_argument, NULL, OPT_RATE},
                                         {"seed", required_argument, NULL, OPT_SEED},
                                         {"json", no_argument, NULL, OPT_JSON},
                                         {"quiet", no_argument, NULL, OPT_QUIET},
                                         {"help", no_argument, NULL, 'h'},
                                         {NULL, 0, NULL, 0}};
    int                        opt;
    *o = (run_options_t){.seconds = -1, .rate = -1, .seed = -1};
    while ((opt = getopt_long(argc, argv, "h", list, NULL)) != -1) {
        int64_t *number = opt == OPT_SECONDS ? &o->seconds
                          : opt == OPT_RATE  ? &o->rate
                          : opt == OPT_SEED  ? &o->seed
                                             : NULL;
        if (number) {
            const int64_t high = opt == OPT_SECONDS ? 86400 : opt == OPT_RATE ? 1000000 : INT64_MAX;
            if (decimal_parse(optarg, strlen(optarg), 0, number) != ERR_OK || *number < (opt == OPT_SEED ? 0 : 1) ||
                *number > high) {
                return command_error("run", EXIT_USAGE, "--%s \"%s\" is no whole number from %d to %" PRId64,
                                     opt == OPT_SECONDS ? "seconds"
                                     : opt == OPT_RATE  ? "rate"
                                                        : "seed",
                                     optarg, opt != OPT_SEED, high);
            }
            continue;
        }
        switch (opt) {
        case OPT_CONFIG: o->config_file = optarg; break;
        case OPT_STRATEGY:
            if (command_strategy_help(optarg)) {
                return -1;
            }
            if (o->strategy_count == CONFIG_STRATEGIES_MAX) {
                return command_error("run", EXIT_USAGE, "more than %u strategies", CONFIG_STRATEGIES_MAX);
            }
            o->strategies[o->strategy_count++] = optarg;
            break;
        case OPT_JSON: o->json = true; break;
        case OPT_QUIET: o->quiet = true; break;
        case 'h': usage(); return -1;
        default: return command_unknown("run", argv);
        }
    }
    if (optind < argc) {
        return command_error("run", EXIT_USAGE, "\"%s\": run takes options only (--help shows them)", argv[optind]);
    }
    return EXIT_OK;
}

static int64_t clock_mono_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static err_t generate(const run_options_t *o, offline_t *run, summary_t *sum, int64_t seconds)
{
    const bool     live  = !o->quiet && isatty(STDERR_FILENO);
    const int64_t  began = clock_mono_ns(), end = RUN_START_NS + seconds * NS_PER_S;
    const uint64_t tsc_began = __rdtsc();
    int64_t        shown     = began;
    err_t          err       = ERR_OK;
    for (int64_t until = RUN_START_NS; !err && until < end;) {
        until              = min_i64(until + RUN_SLICE_NS, end);
        err                = offline_generate(run, until);
        const int64_t wall = clock_mono_ns();
        if (live && wall - shown > 100 * NS_PER_MS) {
            shown = wall;
            fprintf(stderr,
                    "\r%5.1f of %" PRId64 " s of market  %10" PRIu64 " messages  orders %" PRIu64 "  fills %" PRIu64
                    "  denied %" PRIu64 "  ",
                    (double)(until - RUN_START_NS) / 1e9, seconds, run->counts.messages, run->counts.orders,
                    run->counts.fills, run->counts.denied);
        }
    }
    if (live) {
        fprintf(stderr, "\r%*s\r", 110, "");
    }
    err                 = err ? err : offline_end(run);
    sum->seconds_wall   = (double)(clock_mono_ns() - began) / 1e9;
    sum->ns_per_tsc     = sum->seconds_wall * 1e9 / (double)(__rdtsc() - tsc_began);
    sum->seconds_market = (double)seconds;
    sum->events         = run->event->count;
    return err;
}

static void feeds_fill(summary_t *sum, summary_feed_t *feeds)
{
    sum->feeds      = feeds;
    sum->feed_count = engine_instrument_count(sum->run->engine);
    for (uint32_t i = 0; i < sum->feed_count; i++) {
        const book_t *book = engine_book(sum->run->engine, i + 1);
        feeds[i]           = (summary_feed_t){.ins = engine_instrument(sum->run->engine, i + 1), .market = "generated"};
        feeds[i].stats.diffs_applied  = book_rpt_seq(book);
        feeds[i].stats.last_update_id = book_venue_seq(book);
        feeds[i].stats.trades         = sum->run->trades[i + 1];
        if (book_health(book) != FEED_LIVE) {
            char text[128];
            snprintf(text, sizeof text, "%s: the book ends %s (%s)", feeds[i].ins->symbol,
                     feed_health_str(book_health(book)), feed_reason_str(book_reason(book)));
            json_array_append_new(sum->errors, json_string(text));
        }
    }
}

static int report(const run_options_t *o, summary_t *sum)
{
    summary_feed_t feeds[FLOW_INSTRUMENTS];
    feeds_fill(sum, feeds);
    if (o->json) {
        json_t *object = summary_json(sum);
        json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
        fputc('\n', stdout);
        json_decref(object);
    } else {
        summary_text(sum, stdout, command_colour(stdout));
    }
    sum->feeds = NULL; /* they were this function's */
    size_t  i;
    json_t *text;
    json_array_foreach(sum->errors, i, text)
    {
        command_error("run", EXIT_FINDING, "%s", json_string_value(text));
    }
    return json_array_size(sum->errors) ? EXIT_FINDING : EXIT_OK;
}

int command_run(int argc, char **argv)
{
    static offline_t run;
    run_options_t    o;
    config_t        *config = NULL;
    const int        rc     = options(&o, argc, argv);
    if (rc) {
        return rc < 0 ? EXIT_OK : rc;
    }
    char path[4096];
    if (!o.config_file && config_path("demo.yaml", path, sizeof path)) {
        o.config_file = path;
    }
    err_t err = config_load(o.config_file, &config);
    if (err) {
        return command_error("run", EXIT_USAGE, "%s", err_msg());
    }
    const int64_t    seconds = o.seconds > 0 ? o.seconds : config->market.seconds;
    const int64_t    rate    = o.rate > 0 ? o.rate : config->market.rate;
    const flow_cfg_t flow    = {.seed             = (uint64_t)(o.seed >= 0 ? o.seed : config->market.seed),
                                .session          = (uint64_t)config->engine.epoch,
                                .start_ns         = RUN_START_NS,
                                .gap_mean_ns      = NS_PER_S * config->market.instruments / rate,
                                .instrument_count = (uint32_t)config->market.instruments,
                                .own_max          = 4096,
                                .venue_id         = RUN_VENUE_ID};
    summary_t        sum     = {.command = "run", .run = &run, .errors = json_array(), .notes = json_array()};
    err                      = offline_open(&run, config, NULL, 0, o.strategies, o.strategy_count, &flow);
    int code                 = EXIT_USAGE;
    if (!err) {
        err  = generate(&o, &run, &sum, seconds);
        code = err ? EXIT_FINDING : report(&o, &sum);
        offline_close(&run);
    }
    if (err) {
        command_error("run", code, "%s", err_msg());
    }
    json_decref(sum.errors);
    json_decref(sum.notes);
    config_free(config);
    return code;
}
