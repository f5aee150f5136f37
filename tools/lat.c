/* hwal lat: latencies: since each role's start, over an interval, over all lives that are left, and epoch by epoch. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/match/latency.h"
#include "ipc/histogram.h"
#include "ipc/role.h"
#include "tools/command.h"
#include "tools/views.h"

#define LAT_MAX (4u * ROLE_COUNT) /* histograms of an instance */
#define OVER_MS_MAX 3600000u

typedef struct lat_row { /* one histogram of a role */
    role_t             role;
    const char        *name;
    const histogram_t *h;
    histogram_copy_t  *copy; /* what is shown of it */
} lat_row_t;

/* rows_find: every histogram of every role, each with a copy of now; the caller gives the copies back. */
static uint32_t rows_find(const attach_t *a, lat_row_t out[LAT_MAX])
{
    uint32_t count = 0;
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        const segment_head_t *head = a->role[r].head;
        for (uint32_t i = 0; head && i < head->object_count && i < SEGMENT_OBJECTS_MAX && count < LAT_MAX; i++) {
            const char        *name  = head->objects[i].name;
            size_t             bytes = 0;
            const void        *mem   = segment_find(&a->role[r], name, SEGMENT_HISTOGRAM, &bytes);
            const histogram_t *h     = NULL;
            histogram_copy_t  *copy  = mem && histogram_join(mem, bytes, &h) == ERR_OK ? malloc(sizeof *copy) : NULL;
            if (copy) {
                histogram_copy(h, copy);
                out[count++] = (lat_row_t){(role_t)r, name, h, copy};
            }
        }
    }
    return count;
}

/* rows_over: what each of them recorded within the next over_ms. */
static void rows_over(const lat_row_t *rows, uint32_t count, uint32_t over_ms)
{
    const struct timespec nap   = {over_ms / 1000, (long)(over_ms % 1000) * NS_PER_MS};
    histogram_copy_t     *later = malloc(sizeof *later);
    nanosleep(&nap, NULL);
    for (uint32_t i = 0; later && i < count; i++) {
        histogram_copy(rows[i].h, later);
        if (histogram_minus(later, rows[i].copy) == ERR_OK) {
            *rows[i].copy = *later;
        }
    }
    free(later);
}

/* rows_lives: add what earlier lives of the roles left in segments that are still there. */
static void rows_lives(const attach_t *a, const lat_row_t *rows, uint32_t count)
{
    attach_file_t    *files = calloc(ATTACH_FILES_MAX, sizeof *files);
    histogram_copy_t *copy  = malloc(sizeof *copy);
    const uint32_t    found = files && copy ? attach_files(a->dir_fd, files, ATTACH_FILES_MAX) : 0;
    for (uint32_t f = 0; f < found; f++) {
        const role_t role = files[f].role;
        segment_t    old  = {.fd = -1};
        if (role >= ROLE_COUNT || strcmp(files[f].name, a->file[role]) == 0 ||
            segment_open(a->dir_fd, files[f].name, a->uid, false, &old) != ERR_OK) {
            continue;
        }
        for (uint32_t i = 0; i < count; i++) {
            const histogram_t *h     = NULL;
            size_t             bytes = 0;
            const void *mem = rows[i].role == role ? segment_find(&old, rows[i].name, SEGMENT_HISTOGRAM, &bytes) : NULL;
            if (mem && histogram_join(mem, bytes, &h) == ERR_OK && strcmp(h->unit, rows[i].h->unit) == 0) {
                histogram_copy(h, copy);
                histogram_merge(rows[i].copy, copy);
            }
        }
        segment_close(&old);
    }
    free(copy);
    free(files);
}

/* ---- the view -------------------------------------------------------------------------------------------------------- */
static json_t *seq_or_null(uint64_t seq)
{
    return seq ? table_u64(seq) : json_null();
}

static json_t *named(const lat_row_t *row)
{
    json_t *o = json_object();
    json_object_set_new(o, "role", json_string(topology_role_name(row->role)));
    json_object_set_new(o, "name", command_text(row->name));
    json_object_set_new(o, "unit", command_text(row->h->unit));
    return o;
}

static json_t *histogram_json(const lat_row_t *row)
{
    static const struct {
        const char *key;
        uint32_t    millionths;
    } quantiles[]             = {{"p50", 500000}, {"p90", 900000}, {"p99", 990000}, {"p999", 999000}};
    const histogram_copy_t *h = row->copy;
    json_t                 *o = named(row);
    json_object_set_new(o, "count", table_u64(h->count));
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        json_object_set_new(o, quantiles[i].key, table_u64(histogram_quantile(h, quantiles[i].millionths)));
    }
    json_object_set_new(o, "max", table_u64(h->max));
    json_object_set_new(o, "max_seq", seq_or_null(h->max_seq));
    json_object_set_new(o, "mean", table_u64(h->count ? h->sum / h->count : 0));
    return o;
}

static void epochs_json(json_t *list, const lat_row_t *row)
{
    const int64_t  now    = role_mono_ns();
    const uint64_t newest = histogram_epoch_newest(row->h);
    for (uint64_t n = newest > HISTOGRAM_EPOCHS ? newest - HISTOGRAM_EPOCHS + 1 : 1; n <= newest; n++) {
        histogram_epoch_t e;
        if (histogram_epoch_at(row->h, n, &e) != ERR_OK) {
            continue; /* begun anew meanwhile */
        }
        json_t *o = named(row);
        json_object_set_new(o, "number", table_u64(e.number));
        json_object_set_new(o, "began_ms_ago", json_integer((now - e.began_ns) / NS_PER_MS));
        json_object_set_new(o, "duration_ms",
                            e.ended_ns ? json_integer((e.ended_ns - e.began_ns) / NS_PER_MS) : json_null());
        json_object_set_new(o, "count", table_u64(e.count));
        json_object_set_new(o, "mean", table_u64(e.count ? e.sum / e.count : 0));
        json_object_set_new(o, "max", table_u64(e.max));
        json_object_set_new(o, "max_seq", seq_or_null(e.max_seq));
        json_array_append_new(list, o);
    }
}

/* The counters that are not 0 as [upper end, count], rising: at most max of them, neighbours joined by their upper end where
 * there are more, as few as it takes. The last end is the largest value itself, where it is known. */
static json_t *buckets_json(const histogram_copy_t *h, uint32_t max)
{
    json_t  *list = json_array();
    uint32_t used = 0, seen = 0;
    uint64_t joined = 0;
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        used += h->counter[i] != 0;
    }
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        if (h->counter[i] == 0) {
            continue;
        }
        joined += h->counter[i];
        seen++;
        /* the n-th of `used` counters ends a bucket when it passes another max-th part of them */
        if (used <= max || (uint64_t)seen * max / used != (uint64_t)(seen - 1) * max / used) {
            const uint64_t end = seen == used ? h->max : histogram_highest(i);
            json_array_append_new(list, json_pack("[o, o]", table_u64(end), table_u64(joined)));
            joined = 0;
        }
    }
    return list;
}

json_t *view_lat(const attach_t *a, uint32_t over_ms, bool lives, uint32_t buckets)
{
    lat_row_t      rows[LAT_MAX];
    const uint32_t count = rows_find(a, rows);
    json_t        *view = view_head(a), *list = json_array(), *epochs = json_array();
    if (over_ms) {
        rows_over(rows, count, over_ms);
    } else if (lives) {
        rows_lives(a, rows, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        json_t *o = histogram_json(&rows[i]);
        if (buckets) {
            json_object_set_new(o, "buckets", buckets_json(rows[i].copy, buckets));
        }
        json_array_append_new(list, o);
        epochs_json(epochs, &rows[i]);
        free(rows[i].copy);
    }
    json_object_set_new(view, "over_ms", over_ms ? json_integer(over_ms) : json_null());
    json_object_set_new(view, "histograms", list);
    json_object_set_new(view, "epochs", epochs);
    return view;
}

static const column_t lat_columns[] = {
    {"role", "role", COLUMN_TEXT},    {"name", "what", COLUMN_TEXT}, {"count", "count", COLUMN_NUMBER},
    {"p50", "p50 ns", COLUMN_NUMBER}, {"p90", "p90", COLUMN_NUMBER}, {"p99", "p99", COLUMN_NUMBER},
    {"p999", "p99.9", COLUMN_NUMBER}, {"max", "max", COLUMN_NUMBER}, {"max_seq", "max of", COLUMN_NUMBER},
    {"mean", "mean", COLUMN_NUMBER},
};
static const column_t epoch_columns[] = {
    {"role", "role", COLUMN_TEXT},        {"name", "what", COLUMN_TEXT},
    {"number", "epoch", COLUMN_NUMBER},   {"began_ms_ago", "began ms ago", COLUMN_NUMBER},
    {"duration_ms", "ms", COLUMN_NUMBER}, {"count", "count", COLUMN_NUMBER},
    {"mean", "mean ns", COLUMN_NUMBER},   {"max", "max", COLUMN_NUMBER},
    {"max_seq", "max of", COLUMN_NUMBER},
};
#define COLUMNS(list) (list), sizeof(list) / sizeof((list)[0])

void view_lat_text(FILE *to, const json_t *view, bool colour)
{
    table_text(to, COLUMNS(lat_columns), json_object_get(view, "histograms"), colour);
}

/* ---- the command ----------------------------------------------------------------------------------------------------- */
static int usage(FILE *to)
{
    fputs(
        "usage: hwal lat [--over MS | --lives] [--epochs] [OPTIONS]\n\n"
        "Latencies inside an instance in nanoseconds, since the start of each role: event (an input until all of it "
        "is\n"
        "out), decide (until a request was in ord), lane (a request of a client until its answer), taken (receipt of\n"
        "what gave the signal until the adapter has the order). \"max of\" is the sequence of the event that took\n"
        "longest: look at it with `hwal journal cat --from N --to N` (taken: the place in ord).\n" ATTACH_HELP
        "  --csv             the table as CSV\n"
        "  --over MS         only what happens from now on, in so many milliseconds (1 to 3600000)\n"
        "  --lives           with what earlier lives of the roles left in shared memory\n"
        "  --buckets N       with --json: what was counted, in at most N buckets [ns, count] (1 to 4096), from which "
        "the\n"
        "                    latencies of a simulated venue can be drawn (`hwal config show`, latency)\n"
        "  --epochs          ten seconds by ten seconds, the last 64 of them, each with its own maximum\n\n"
        "examples:\n"
        "  hwal lat\n"
        "  hwal lat --over 5000\n"
        "  hwal lat --epochs --csv >epochs.csv\n"
        "  hwal lat --json | jq '.histograms[].p99'\n"
        "  hwal lat --json --buckets 1024 >lat.json; hwal replay FILE --latency 'place=histogram lat.json "
        "engine.decide'\n",
        to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

int command_lat(int argc, char **argv)
{
    static const struct option options[] = {ATTACH_OPTIONS,
                                            {"over", required_argument, NULL, 'o'},
                                            {"lives", no_argument, NULL, 'l'},
                                            {"epochs", no_argument, NULL, 'e'},
                                            {"buckets", required_argument, NULL, 'b'},
                                            {0}};
    attach_args_t              args;
    attach_t                   a;
    uint32_t                   over_ms = 0, buckets = 0;
    bool                       lives = false, epochs = false;
    attach_args(&args);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'h') {
            return usage(stdout);
        }
        if (c == 'o' && !attach_number(optarg, 1, OVER_MS_MAX, &over_ms)) {
            return command_error("lat", EXIT_USAGE, "--over %s: milliseconds, 1 to %u", optarg, OVER_MS_MAX);
        }
        if (c == 'b' && !attach_number(optarg, 1, LATENCY_POINTS_MAX, &buckets)) {
            return command_error("lat", EXIT_USAGE, "--buckets %s: 1 to %u", optarg, LATENCY_POINTS_MAX);
        }
        lives  = lives || c == 'l';
        epochs = epochs || c == 'e';
        if (c != 'o' && c != 'l' && c != 'e' && c != 'b' && !attach_option(&args, c)) {
            return command_unknown("lat", argv);
        }
    }
    if (optind < argc || (over_ms && lives)) {
        return command_error("lat", EXIT_USAGE, "%s: %s", optind < argc ? argv[optind] : "--over, --lives",
                             optind < argc ? "takes no argument (--help)" : "one of them");
    }
    const int rc = attach_begin("lat", &args, &a);
    if (rc != EXIT_OK) {
        return rc;
    }
    json_t       *view = view_lat(&a, over_ms, lives, buckets);
    const json_t *rows = json_object_get(view, epochs ? "epochs" : "histograms");
    if (args.json) {
        table_json(stdout, view);
    } else if (epochs) {
        args.csv ? table_csv(stdout, COLUMNS(epoch_columns), rows)
                 : table_text(stdout, COLUMNS(epoch_columns), rows, command_colour(stdout));
    } else {
        args.csv ? table_csv(stdout, COLUMNS(lat_columns), rows) : view_lat_text(stdout, view, command_colour(stdout));
    }
    json_decref(view);
    return attach_end("lat", &a);
}
