#include "tools/generated.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "tools/command.h"
#include "tools/offline.h"
#include "tools/summary.h"

#define START_NS 1700000000000000000LL /* generated time has a fixed beginning, so that runs repeat to the byte */
#define SLICE_NS (50 * NS_PER_MS)
#define VENUE_ID 1u

static int64_t clock_mono_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static err_t generate(const generated_options_t *o, offline_t *run, summary_t *sum, int64_t seconds)
{
    const bool     live  = !o->quiet && isatty(STDERR_FILENO);
    const int64_t  began = clock_mono_ns(), end = START_NS + seconds * NS_PER_S;
    const uint64_t tsc_began = __rdtsc();
    int64_t        shown     = began;
    err_t          err       = ERR_OK;
    for (int64_t until = START_NS; !err && until < end;) {
        until              = min_i64(until + SLICE_NS, end);
        err                = offline_generate(run, until);
        const int64_t wall = clock_mono_ns();
        if (live && wall - shown > 100 * NS_PER_MS) {
            shown = wall;
            fprintf(stderr,
                    "\r%5.1f of %" PRId64 " s of market  %10" PRIu64 " messages  orders %" PRIu64 "  fills %" PRIu64
                    "  denied %" PRIu64 "  ",
                    (double)(until - START_NS) / 1e9, seconds, run->counts.messages, run->counts.orders,
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
    sum->events         = histogram_count(run->event);
    return err;
}

static void feeds_fill(summary_t *sum, summary_feed_t *feeds)
{
    sum->feeds      = feeds;
    sum->feed_count = engine_instrument_count(sum->run->engine);
    for (uint32_t i = 0; i < sum->feed_count; i++) {
        const view_t book = engine_market(sum->run->engine, i + 1);
        feeds[i]          = (summary_feed_t){.ins = engine_instrument(sum->run->engine, i + 1), .market = "generated"};
        feeds[i].stats.diffs_applied  = view_rpt_seq(book);
        feeds[i].stats.last_update_id = view_venue_seq(book);
        feeds[i].stats.trades         = sum->run->trades[i + 1];
        if (view_health(book) != FEED_LIVE) {
            char text[128];
            snprintf(text, sizeof text, "%s: the book ends %s (%s)", feeds[i].ins->symbol,
                     feed_health_str(view_health(book)), feed_reason_str(view_reason(book)));
            json_array_append_new(sum->errors, json_string(text));
        }
    }
}

static int report(const generated_options_t *o, summary_t *sum)
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
        command_error("replay", EXIT_FINDING, "%s", json_string_value(text));
    }
    return json_array_size(sum->errors) ? EXIT_FINDING : EXIT_OK;
}

static int trade(const generated_options_t *o, const config_t *config)
{
    static offline_t run;
    const int64_t    seconds = o->seconds > 0 ? o->seconds : config->market.seconds;
    const int64_t    rate    = o->rate > 0 ? o->rate : config->market.rate;
    if (rate == 0) {
        return command_error("replay", EXIT_USAGE,
                             "market.rate is 0: a market that stands still has nothing to replay");
    }
    const flow_cfg_t flow = {.seed             = (uint64_t)(o->seed >= 0 ? o->seed : config->market.seed),
                             .session          = (uint64_t)config->engine.epoch,
                             .start_ns         = START_NS,
                             .gap_mean_ns      = NS_PER_S * config->market.instruments / rate,
                             .instrument_count = (uint32_t)config->market.instruments,
                             .own_max          = 4096,
                             .venue_id         = VENUE_ID};
    summary_t        sum  = {.command = "replay", .run = &run, .errors = json_array(), .notes = json_array()};
    err_t            err  = offline_open(&run, config, NULL, 0, o->strategies, o->strategy_count, &flow);
    int              code = EXIT_USAGE;
    if (!err) {
        err  = generate(o, &run, &sum, seconds);
        code = err ? EXIT_FINDING : report(o, &sum);
        offline_close(&run);
    }
    if (err) {
        command_error("replay", code, "%s", err_msg());
    }
    json_decref(sum.errors);
    json_decref(sum.notes);
    return code;
}

int generated_replay(const generated_options_t *o)
{
    char        path[4096];
    config_t   *config = NULL;
    const char *file   = o->config_file ? o->config_file : config_path("demo.yaml", path, sizeof path) ? path : NULL;
    if (config_load(file, &config) != ERR_OK) {
        return command_error("replay", EXIT_USAGE, "%s", err_msg());
    }
    const int code = trade(o, config);
    config_free(config);
    return code;
}
