/* hwal run: a live instance: starts its processes, watches them, stops them in order and prints what became of it. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/risk/risk_code.h"
#include "core/types/decimal.h"
#include "core/types/time.h"
#include "ipc/histogram.h"
#include "ipc/version.h"
#include "tools/capture_def.h"
#include "tools/command.h"
#include "tools/engine_role.h"
#include "tools/sizes.h"
#include "tools/supervisor.h"
#include "tools/venue.h"
#include "tools/views.h"

#define TURN_NS (100 * NS_PER_MS)

typedef struct run_options {
    const char *config_file, *instance, *speed;
    char       *strategies[CONFIG_STRATEGIES_MAX];
    char       *captures[64];
    uint32_t    strategy_count, capture_count;
    int64_t     seconds, rate, seed; /* -1: as configured */
    int         start;               /* config_start_t, -1 = as configured */
    bool        forever, json, quiet;
} run_options_t;

static volatile sig_atomic_t signals_seen;

static void on_signal(int number)
{
    (void)number;
    signals_seen = signals_seen + 1;
}

static void signals_take(void)
{
    static const int       ignored[] = {SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2};
    const struct sigaction stop = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        sigaction(ignored[i], &ignore, NULL);
    }
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
}

/* ---- the command line ------------------------------------------------------------------------------------------------ */
static void usage(void)
{
    fputs("usage: hwal run [OPTIONS]\n\n"
          "Run an instance: engine, journal, venue and adapters as processes over shared memory, until the time is up "
          "or\n"
          "Ctrl-C (a second one: at once). Without captures the market is generated. Ends with a summary.\n\n"
          "  --config FILE      settings (default configs/demo.yaml; `hwal config show` lists them)\n"
          "  --instance NAME    its name, instead of the configured one\n"
          "  --seconds N        how long (default market.seconds), --forever: until it is told\n"
          "  --rate N           market events a second, 0 = a market that stands still\n"
          "  --seed N           of the generated market\n"
          "  --strategy SPEC    name or name:key=value,... ; may be repeated (`none` for none)\n"
          "  --capture FILE     recorded market data instead of a generated market; may be repeated\n"
          "  --speed X          of a recording: 1 = as recorded, 0 = as fast as it goes\n"
          "  --new | --resume   begin a journal (the one that is there is kept as .old), or go on with it\n"
          "  --json             one JSON object on stdout at the end\n"
          "  --quiet            no progress on the terminal\n\n"
          "examples:\n"
          "  hwal run --config configs/demo.yaml\n"
          "  hwal run --forever --instance lab --rate 50000 &\n"
          "  hwal run --resume --seconds 60 --json | jq .accounts\n"
          "  hwal run --strategy market_maker:help\n\n"
          "exit: 0 ok; 1 a role failed, or an account is not reconciled; 2 usage or settings\n",
          stdout);
}

enum {
    OPT_CONFIG = 256,
    OPT_INSTANCE,
    OPT_STRATEGY,
    OPT_SECONDS,
    OPT_RATE,
    OPT_SEED,
    OPT_CAPTURE,
    OPT_SPEED,
    OPT_NEW,
    OPT_RESUME,
    OPT_FOREVER,
    OPT_JSON,
    OPT_QUIET
};

static int number_take(run_options_t *o, int opt, const char *text)
{
    const struct number {
        const char *name;
        int64_t    *to, low, high;
    } all[] = {{"seconds", &o->seconds, 1, 86400}, {"rate", &o->rate, 0, 1000000}, {"seed", &o->seed, 0, INT64_MAX}};
    const struct number n = all[opt - OPT_SECONDS];
    if (decimal_parse(text, strlen(text), 0, n.to) != ERR_OK || *n.to < n.low || *n.to > n.high) {
        return command_error("run", EXIT_USAGE, "--%s \"%s\" is no whole number from %" PRId64 " to %" PRId64, n.name,
                             text, n.low, n.high);
    }
    return EXIT_OK;
}

static int text_add(char **list, uint32_t *count, uint32_t max, const char *what)
{
    if (*count == max) {
        return command_error("run", EXIT_USAGE, "more than %u %s", max, what);
    }
    list[(*count)++] = optarg;
    return EXIT_OK;
}

static int option_take(run_options_t *o, int opt, char **argv)
{
    switch (opt) {
    case OPT_SECONDS:
    case OPT_RATE:
    case OPT_SEED: return number_take(o, opt, optarg);
    case OPT_CONFIG: o->config_file = optarg; break;
    case OPT_INSTANCE: o->instance = optarg; break;
    case OPT_SPEED: o->speed = optarg; break;
    case OPT_CAPTURE: return text_add(o->captures, &o->capture_count, 64, "captures");
    case OPT_STRATEGY:
        if (command_strategy_help(optarg)) {
            return -1;
        }
        return text_add(o->strategies, &o->strategy_count, CONFIG_STRATEGIES_MAX, "strategies");
    case OPT_NEW:
    case OPT_RESUME:
        if (o->start >= 0) {
            return command_error("run", EXIT_USAGE, "--new or --resume, once");
        }
        o->start = opt == OPT_NEW ? START_NEW : START_RESUME;
        break;
    case OPT_FOREVER: o->forever = true; break;
    case OPT_JSON: o->json = true; break;
    case OPT_QUIET: o->quiet = true; break;
    case 'h': usage(); return -1;
    default: return command_unknown("run", argv);
    }
    return EXIT_OK;
}

static int options(run_options_t *o, int argc, char **argv)
{
    static const struct option list[] = {{"config", required_argument, NULL, OPT_CONFIG},
                                         {"instance", required_argument, NULL, OPT_INSTANCE},
                                         {"strategy", required_argument, NULL, OPT_STRATEGY},
                                         {"seconds", required_argument, NULL, OPT_SECONDS},
                                         {"rate", required_argument, NULL, OPT_RATE},
                                         {"seed", required_argument, NULL, OPT_SEED},
                                         {"capture", required_argument, NULL, OPT_CAPTURE},
                                         {"speed", required_argument, NULL, OPT_SPEED},
                                         {"new", no_argument, NULL, OPT_NEW},
                                         {"resume", no_argument, NULL, OPT_RESUME},
                                         {"forever", no_argument, NULL, OPT_FOREVER},
                                         {"json", no_argument, NULL, OPT_JSON},
                                         {"quiet", no_argument, NULL, OPT_QUIET},
                                         {"help", no_argument, NULL, 'h'},
                                         {NULL, 0, NULL, 0}};
    int                        opt;
    *o     = (run_options_t){.seconds = -1, .rate = -1, .seed = -1, .start = -1};
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "h", list, NULL)) != -1) {
        const int rc = option_take(o, opt, argv);
        if (rc) {
            return rc;
        }
    }
    if (o->forever && o->seconds > 0) {
        return command_error("run", EXIT_USAGE, "--forever or --seconds, not both");
    }
    if (optind < argc) {
        return command_error("run", EXIT_USAGE, "\"%s\": run takes options only (--help shows them)", argv[optind]);
    }
    return EXIT_OK;
}

/* The command line over the configuration, judged by the configuration's own rules. */
static err_t settings_merge(run_options_t *o, config_t *config)
{
    config->market.seed    = o->seed >= 0 ? o->seed : config->market.seed;
    config->market.rate    = o->rate >= 0 ? o->rate : config->market.rate;
    config->market.seconds = o->seconds > 0 ? o->seconds : config->market.seconds;
    config->journal.start  = o->start >= 0 ? o->start : config->journal.start;
    if (o->strategy_count) {
        config->strategies       = o->strategies;
        config->strategies_count = o->strategy_count;
    }
    if (o->capture_count) {
        config->capture.files       = o->captures;
        config->capture.files_count = o->capture_count;
    }
    err_t err = o->speed ? config_set(config, "capture", "speed", o->speed) : ERR_OK;
    err       = err || !o->instance ? err : config_set(config, "", "instance", o->instance);
    return err ? err : config_strategies_check(config);
}

/* A capture that cannot be opened is found here, not by a role that dies of it again and again. */
static err_t captures_check(const config_t *config)
{
    static capture_def_t    def;
    const config_capture_t *c      = &config->capture;
    config_instruments_t   *listed = NULL;
    char                    path[4096];
    if (c->files_count > CAPTURE_FILES_MAX) {
        return err_set(ERR_CONFIG, "%u captures, limit %u", c->files_count, CAPTURE_FILES_MAX);
    }
    err_t err = config_path("instruments.yaml", path, sizeof path) ? config_instruments_load(path, &listed) : ERR_OK;
    err       = err ? err : capture_def_open(&def, "binance", listed, c->files, c->files_count, 0, NULL, NULL);
    if (listed != NULL) {
        config_instruments_free(listed);
    }
    return err;
}

/* ---- while it runs --------------------------------------------------------------------------------------------------- */
typedef struct run {
    run_options_t o;
    config_t     *config;
    supervisor_t *supervisor;
    FILE         *to;   /* for people */
    bool          live; /* a line of progress stands on the terminal */
    bool          shown;
    int64_t       began_ns, running_ns, shown_ns;
    uint64_t      shown_inputs;
} run_t;

static void line_clear(run_t *run)
{
    if (run->shown) {
        fputs("\r\033[K", stderr);
        run->shown = false;
    }
}

static void on_say(void *ctx, log_level_t level, const char *role, const char *text)
{
    run_t *run = ctx;
    if (level == LOG_INFO && (strcmp(role, "supervisor") != 0 || run->o.quiet)) {
        return; /* it is in the log file */
    }
    line_clear(run);
    const char *colour = !command_colour(stderr) ? "" : level == LOG_ERROR ? "\033[31m" : "";
    fprintf(stderr, "%s%s: %s%s\n", colour, role, text, *colour ? "\033[0m" : "");
}

static const void *object(const run_t *run, role_t role, const char *name, segment_kind_t kind, size_t want)
{
    const segment_t *seg   = supervisor_segment(run->supervisor, role);
    size_t           bytes = 0;
    const void      *at    = seg->head ? segment_find(seg, name, kind, &bytes) : NULL;
    return bytes >= want ? at : NULL;
}

static void line_recovering(run_t *run)
{
    const control_page_t *c = object(run, ROLE_ENGINE, "control", SEGMENT_CONTROL, sizeof *c);
    fprintf(stderr, "\r\033[Kstarting ... engine %s", c ? role_state_str(atomic_load(&c->state)) : "waits");
    if (c && atomic_load(&c->state) == ROLE_RECOVERING) {
        fprintf(stderr, ", %" PRIu64 " of %" PRIu64 " records", atomic_load(&c->progress),
                atomic_load(&c->progress_all));
    }
}

static void line_running(run_t *run, int64_t now)
{
    const counters_t    *c = object(run, ROLE_ENGINE, "counters", SEGMENT_COUNTERS, sizeof *c);
    const histogram_t   *h = object(run, ROLE_ENGINE, "event", SEGMENT_HISTOGRAM, sizeof *h);
    const counters_t    *j = object(run, ROLE_JOURNAL, "counters", SEGMENT_COUNTERS, sizeof *j);
    const ring_cursor_t *d = object(run, ROLE_JOURNAL, "durable", SEGMENT_CURSORS, sizeof *d);
    if (!c || !h || !j || !d) {
        return;
    }
    static histogram_copy_t events;
    histogram_copy(h, &events);
    const uint64_t inputs = counter_get(c, COUNTER_INPUTS);
    const int64_t  took   = now - run->shown_ns;
    const double   per_s =
        took > 0 && inputs >= run->shown_inputs ? (double)(inputs - run->shown_inputs) * 1e9 / (double)took : 0;
    run->shown_inputs = inputs;
    char           line[256];
    struct winsize size = {0}; /* a line that wraps cannot be taken back */
    ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    const int len = snprintf(line, sizeof line,
                             "%5.1f s  %6.0f messages/s  orders %" PRIu64 "  fills %" PRIu64 "  denied %" PRIu64
                             "  event p99 %.1f us  journal %.1f MB",
                             (double)(now - run->running_ns) / 1e9, per_s, counter_get(c, COUNTER_ORDERS),
                             counter_get(c, COUNTER_FILLS), counter_get(c, COUNTER_DENIED),
                             (double)histogram_quantile(&events, 990000) / 1e3,
                             (double)counter_get(j, COUNTER_JOURNAL_BYTES) / 1e6);
    fprintf(stderr, "\r\033[K%.*s", size.ws_col > 0 && size.ws_col <= len ? size.ws_col - 1 : len, line);
}

static void progress(run_t *run, supervisor_phase_t phase)
{
    const int64_t now = role_mono_ns();
    if (!run->live || now - run->shown_ns < 500 * NS_PER_MS) {
        return;
    }
    if (phase == SUPERVISOR_RUNNING) {
        line_running(run, now);
    } else if (phase == SUPERVISOR_STARTING) {
        line_recovering(run);
    } else {
        fputs("\r\033[Kstopping ...", stderr);
    }
    run->shown    = true;
    run->shown_ns = now;
    fflush(stderr);
}

static void line_started(const run_t *run)
{
    fprintf(run->to, "instance %s %s: %.1f MB of shared memory, journal in %s, pids", run->config->instance,
            supervisor_adopted(run->supervisor) ? "taken over" : "runs",
            (double)supervisor_memory(run->supervisor) / 1e6, supervisor_dir(run->supervisor)->path);
    for (role_t role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++) {
        const role_row_t *row = supervisor_row(run->supervisor, role);
        if (row->pid) {
            fprintf(run->to, " %s %d", topology_role_name(role), row->pid);
        }
    }
    fputc('\n', run->to);
    fflush(run->to);
}

static void run_loop(run_t *run)
{
    int  answered = 0;
    bool started  = false;
    for (;;) {
        const supervisor_phase_t phase = supervisor_turn(run->supervisor, TURN_NS);
        const int64_t            now   = role_mono_ns();
        if (phase == SUPERVISOR_STOPPED) {
            break;
        }
        if (phase == SUPERVISOR_RUNNING && !started) {
            started         = true;
            run->running_ns = now;
            line_clear(run);
            line_started(run);
        }
        if (signals_seen > answered) {
            answered = signals_seen;
            supervisor_stop(run->supervisor, phase == SUPERVISOR_STOPPING);
        } else if (started && !run->o.forever && phase < SUPERVISOR_STOPPING &&
                   now - run->running_ns >= run->config->market.seconds * NS_PER_S) {
            supervisor_stop(run->supervisor, false);
        }
        progress(run, phase);
    }
    line_clear(run);
}

/* ---- the summary: the views of the published records as the processes left them --------------------------------------- */
static json_t *next_json(const char *instance)
{
    return json_pack("[o, o, o]", json_sprintf("hwal journal verify --instance %s", instance),
                     json_sprintf("hwal replay --verify --instance %s", instance),
                     json_sprintf("hwal run --forever --instance %s & hwal top --instance %s", instance, instance));
}

static json_t *counters_json(const run_t *run)
{
    static const counter_t shown[] = {COUNTER_INPUTS,   COUNTER_MD_MESSAGES, COUNTER_MD_LOST,  COUNTER_ORDERS,
                                      COUNTER_REPLACES, COUNTER_CANCELS,     COUNTER_QUERIES,  COUNTER_DENIED,
                                      COUNTER_EXECS,    COUNTER_FILLS,       COUNTER_REJECTED, COUNTER_ALARMS};
    const counters_t      *c       = object(run, ROLE_ENGINE, "counters", SEGMENT_COUNTERS, sizeof *c);
    json_t                *o       = json_object();
    for (size_t i = 0; c && i < sizeof shown / sizeof shown[0]; i++) {
        json_object_set_new(o, counter_name(shown[i]), table_u64(counter_get(c, shown[i])));
    }
    return o;
}

static json_t *journal_json(const run_t *run)
{
    const state_dir_t   *dir = supervisor_dir(run->supervisor);
    const counters_t    *j   = object(run, ROLE_JOURNAL, "counters", SEGMENT_COUNTERS, sizeof *j);
    const ring_cursor_t *d   = object(run, ROLE_JOURNAL, "durable", SEGMENT_CURSORS, sizeof *d);
    char                 session[20];
    snprintf(session, sizeof session, "%016" PRIx64, dir->id.session);
    json_t *o = json_pack("{s:s, s:s, s:i, s:s}", "dir", dir->path, "session", session, "epoch", (int)dir->epoch,
                          "durability", run->config->journal.durability == DURABILITY_POWER ? "power" : "process");
    json_object_set_new(o, "durable_record",
                        d ? table_u64(atomic_load_explicit(&d->taken, memory_order_acquire)) : json_null());
    json_object_set_new(o, "records", j ? table_u64(counter_get(j, COUNTER_JOURNAL_RECORDS)) : json_null());
    json_object_set_new(o, "bytes", j ? table_u64(counter_get(j, COUNTER_JOURNAL_BYTES)) : json_null());
    return o;
}

static uint32_t restarts(const run_t *run)
{
    uint32_t count = 0;
    for (role_t role = ROLE_ENGINE; role < ROLE_COUNT; role++) {
        count += supervisor_row(run->supervisor, role)->restarts;
    }
    return count;
}

/* Accounts that ended unreconciled: their positions are not what the venue says. */
static bool unreconciled(const json_t *positions)
{
    size_t        i;
    const json_t *account;
    json_array_foreach(json_object_get(positions, "accounts"), i, account)
    {
        if (json_integer_value(json_object_get(account, "state_code")) == RISK_UNRECONCILED) {
            return true;
        }
    }
    return false;
}

static void summary_text(const run_t *run, const json_t *sum)
{
    const bool  colour = command_colour(stdout);
    const char *key;
    json_t     *value;
    printf("%s: %.1f s", run->config->instance, json_real_value(json_object_get(sum, "seconds")));
    json_object_foreach(json_object_get(sum, "counters"), key, value)
    {
        if (json_integer_value(value)) {
            printf("  %s %" JSON_INTEGER_FORMAT, key, json_integer_value(value));
        }
    }
    fputc('\n', stdout);
    view_positions_text(stdout, json_object_get(sum, "positions"), colour);
    view_lat_text(stdout, json_object_get(sum, "latency"), colour);
    json_t *journal = json_object_get(sum, "journal");
    printf("\njournal  %s: record %" JSON_INTEGER_FORMAT ", %.1f MB, durability %s\n",
           json_string_value(json_object_get(journal, "dir")),
           json_integer_value(json_object_get(journal, "durable_record")),
           (double)json_integer_value(json_object_get(journal, "bytes")) / 1e6,
           json_string_value(json_object_get(journal, "durability")));
    size_t  i;
    json_t *next;
    json_array_foreach(json_object_get(sum, "next"), i, next)
    {
        printf("%s%s\n", i ? "         " : "next     ", json_string_value(next));
    }
}

static int summary(run_t *run)
{
    static attach_t a;
    const char     *failure = supervisor_failure(run->supervisor);
    if (attach_open(&a, run->config->instance, geteuid()) != ERR_OK) {
        return command_error("run", EXIT_FINDING, "no summary: %s", err_msg());
    }
    json_t    *positions = view_positions(&a);
    const bool open      = unreconciled(positions);
    json_t    *sum = json_pack("{s:s, s:s, s:s, s:s}", "command", "run", "instance", run->config->instance, "version",
                               HWAL_VERSION, "build", version_build_id());
    json_object_set_new(sum, "ok", json_boolean(!failure && !open));
    json_object_set_new(sum, "seconds",
                        json_real(run->running_ns ? (double)(role_mono_ns() - run->running_ns) / 1e9 : 0));
    json_object_set_new(sum, "failure", failure ? command_text(failure) : json_null());
    json_object_set_new(sum, "restarts", json_integer(restarts(run)));
    json_object_set_new(sum, "shm_bytes", table_u64(supervisor_memory(run->supervisor)));
    json_object_set_new(sum, "counters", counters_json(run));
    json_object_set_new(sum, "positions", positions);
    json_object_set_new(sum, "latency", view_lat(&a, 0, false, 0));
    json_object_set_new(sum, "journal", journal_json(run));
    json_object_set_new(sum, "next", next_json(run->config->instance));
    if (run->o.json) {
        json_dumpf(sum, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
        fputc('\n', stdout);
    } else {
        summary_text(run, sum);
    }
    json_decref(sum);
    attach_close(&a);
    if (open) {
        return command_error("run", EXIT_FINDING, "an account is not reconciled with its venue (152)");
    }
    return failure ? EXIT_FINDING : EXIT_OK;
}

int command_run(int argc, char **argv)
{
    static run_t run;
    char         path[4096];
    const int    rc = options(&run.o, argc, argv);
    if (rc) {
        return rc < 0 ? EXIT_OK : rc;
    }
    if (!run.o.config_file && config_path("demo.yaml", path, sizeof path)) {
        run.o.config_file = path;
    }
    err_t err = config_load(run.o.config_file, &run.config);
    err       = err ? err : settings_merge(&run.o, run.config);
    err       = err || !run.config->capture.files_count ? err : captures_check(run.config);
    if (err) {
        config_free(run.config);
        return command_error("run", EXIT_USAGE, "%s", err_msg());
    }
    run.to   = run.o.json ? stderr : stdout;
    run.live = !run.o.quiet && isatty(STDERR_FILENO);
    signals_take();
    sizes_t sizes;
    if (sizes_of(run.config, &sizes) == ERR_OK) { /* where it cannot be, the supervisor says why */
        sizes_print(&sizes, run.to);
        fflush(run.to);
    }
    const supervisor_cfg_t cfg = {.config      = run.config,
                                  .mains       = {[ROLE_ENGINE]  = engine_main,
                                                  [ROLE_JOURNAL] = journal_main,
                                                  [ROLE_SIM]     = sim_main,
                                                  [ROLE_VENUE]   = venue_main,
                                                  [ROLE_CAPTURE] = capture_main},
                                  .venue_bytes = venue_bytes(run.config),
                                  .anew        = run.o.start == START_NEW,
                                  .genesis     = engine_genesis,
                                  .say         = on_say,
                                  .say_ctx     = &run};
    err                        = cfg.venue_bytes ? supervisor_open(&cfg, &run.supervisor) : ERR_CONFIG;
    int code                   = EXIT_FINDING;
    if (err) {
        command_error("run", code, "%s", err_msg());
    } else {
        run_loop(&run);
        code = summary(&run);
        supervisor_close(run.supervisor);
    }
    config_free(run.config);
    return code;
}
