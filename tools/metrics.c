/* hwal metrics: everything that an instance counts and measures, for Prometheus (text exposition format 0.0.4) or as JSON.
 *
 * The names of counters, their types, units and help come from the catalogue in each role's segment, those of histograms
 * from the segment's object table: there is no list of them here, and a role of another build is shown whole. One view is
 * built (families of samples) and then printed in either form. Durations are seconds, exact to the nanosecond. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/histogram.h"
#include "ipc/role.h"
#include "tools/command.h"
#include "tools/views.h"

/* ---- families and samples -------------------------------------------------------------------------------------------- */
typedef struct number {
    char text[32];
} number_t;

static number_t whole(uint64_t value)
{
    number_t n;
    snprintf(n.text, sizeof n.text, "%" PRIu64, value);
    return n;
}

static number_t seconds(uint64_t ns)
{
    number_t n;
    snprintf(n.text, sizeof n.text, "%" PRIu64 ".%09" PRIu64, ns / (uint64_t)NS_PER_S, ns % (uint64_t)NS_PER_S);
    return n;
}

/* samples_of: the samples of a family, which is made when it is not there yet; borrowed. */
static json_t *samples_of(json_t *families, const char *name, const char *type, const char *help)
{
    size_t  i;
    json_t *family;
    json_array_foreach(families, i, family)
    {
        if (strcmp(json_string_value(json_object_get(family, "name")), name) == 0) {
            return json_object_get(family, "samples");
        }
    }
    family = json_pack("{s:s, s:s, s:o, s:[]}", "name", name, "type", type, "help", command_text(help), "samples");
    json_array_append_new(families, family);
    return json_object_get(family, "samples");
}

/* sample_add: takes labels over. */
static void sample_add(json_t *samples, const char *name, json_t *labels, number_t value)
{
    json_array_append_new(samples, json_pack("{s:s, s:o, s:s}", "name", name, "labels", labels, "value", value.text));
}

static void gauge(json_t *families, const char *name, const char *help, json_t *labels, number_t value)
{
    sample_add(samples_of(families, name, "gauge", help), name, labels, value);
}

static void total(json_t *families, const char *name, const char *help, json_t *labels, number_t value)
{
    sample_add(samples_of(families, name, "counter", help), name, labels, value);
}

/* ---- roles ----------------------------------------------------------------------------------------------------------- */
static json_t *label_role(role_t role)
{
    return json_pack("{s:s}", "role", topology_role_name(role));
}

static void role_state(json_t *families, role_t role, const char *word)
{
    static const char help[] = "1 for the state that the role is in (DEAD: its process is gone), 0 for the others";
    for (uint32_t s = ROLE_STATE_NONE; s <= ROLE_STATE_COUNT; s++) {
        const char *state = s < ROLE_STATE_COUNT ? role_state_str(s) : "DEAD";
        gauge(families, "hwal_role_state", help,
              json_pack("{s:s, s:s}", "role", topology_role_name(role), "state", state),
              whole(strcmp(state, word) == 0));
    }
}

static void role_metrics(json_t *families, const attach_t *a, role_t role, const char *word)
{
    const control_page_t *c   = attach_control(a, role);
    const int64_t         age = attach_age_ns(a, role);
    role_state(families, role, word);
    if (age >= 0) {
        gauge(families, "hwal_role_heartbeat_age_seconds", "since the role's last heartbeat", label_role(role),
              seconds((uint64_t)age));
    }
    if (c) {
        const int64_t turn = atomic_load_explicit(&c->turn_max_ns, memory_order_relaxed);
        gauge(families, "hwal_role_turn_max_seconds", "longest time between two rounds of housekeeping",
              label_role(role), seconds(turn > 0 ? (uint64_t)turn : 0));
    }
    if (c && role == ROLE_ENGINE) {
        gauge(families, "hwal_engine_epoch", "epoch of the engine's ClOrdIDs", json_object(),
              whole(atomic_load_explicit(&c->epoch, memory_order_relaxed)));
    }
    total(families, "hwal_role_restarts_total", "times the supervisor started the role again", label_role(role),
          whole(a->row[role].restarts));
}

static void counter_metrics(json_t *families, const attach_t *a, role_t role)
{
    const counters_t *c = attach_counters(a, role);
    counter_row_t     row;
    uint64_t          value;
    err_t             err = c ? ERR_OK : ERR_NOT_FOUND;
    for (uint32_t i = 0; err != ERR_NOT_FOUND; i++) {
        char name[64];
        if ((err = counters_at(c, i, &row, &value)) != ERR_OK) {
            continue; /* a damaged row; or the end */
        }
        const bool gauges = row.type == COUNTER_TYPE_GAUGE;
        snprintf(name, sizeof name, "hwal_%s%s", row.name, gauges ? "" : "_total");
        (gauges ? gauge : total)(families, name, row.help, label_role(role), whole(value));
    }
}

/* ---- histograms ------------------------------------------------------------------------------------------------------ */
typedef struct measure { /* how the values of a histogram are named and written */
    char name[48];       /* "hwal_event" */
    char unit[32];       /* "seconds" */
    bool ns;
} measure_t;

static number_t measured(const measure_t *m, uint64_t value)
{
    return m->ns ? seconds(value) : whole(value);
}

static void letters(char *name) /* the name of an object or unit as a part of a metric's name */
{
    for (; *name; name++) {
        const char c = *name;
        *name = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : (c >= 'A' && c <= 'Z') ? (char)(c | 32) : '_';
    }
}

static measure_t measure_of(const char *name, const char *unit)
{
    measure_t m = {.ns = strcmp(unit, "ns") == 0};
    snprintf(m.name, sizeof m.name, "hwal_%.40s", name);
    snprintf(m.unit, sizeof m.unit, "%.16s", m.ns ? "seconds" : unit);
    letters(m.name);
    letters(m.unit);
    return m;
}

static void summary_metric(json_t *families, const char *object, const measure_t *m, role_t role,
                           histogram_copy_t *copy)
{
    static const struct {
        const char *label;
        uint32_t    millionths;
    } quantiles[] = {{"0.5", 500000}, {"0.9", 900000}, {"0.99", 990000}, {"0.999", 999000}};
    char name[96], part[112], help[160];
    snprintf(name, sizeof name, "%s_%s", m->name, m->unit);
    snprintf(help, sizeof help, "histogram %.48s, three significant digits, since the start of its role", object);
    json_t *samples = samples_of(families, name, "summary", help);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        const number_t value = copy->count ? measured(m, histogram_quantile(copy, quantiles[i].millionths))
                                           : (number_t){"NaN"}; /* as the format has it for nothing observed */
        sample_add(samples, name,
                   json_pack("{s:s, s:s}", "role", topology_role_name(role), "quantile", quantiles[i].label), value);
    }
    snprintf(part, sizeof part, "%s_sum", name);
    sample_add(samples, part, label_role(role), measured(m, copy->sum));
    snprintf(part, sizeof part, "%s_count", name);
    sample_add(samples, part, label_role(role), whole(copy->count));
}

/* maximum_metrics: the largest value and its event: of all (which = "max"), or of the last 10 to 20 s. */
static void maximum_metrics(json_t *families, const measure_t *m, role_t role, const char *which, const char *of,
                            uint64_t max, uint64_t seq)
{
    char name[112], help[128];
    snprintf(name, sizeof name, "%s_%s_%s", m->name, which, m->unit);
    snprintf(help, sizeof help, "largest value %s", of);
    gauge(families, name, help, label_role(role), measured(m, max));
    snprintf(name, sizeof name, "%s_%s_sequence", m->name, which);
    snprintf(help, sizeof help, "sequence of the event with the largest value %s; 0 = none", of);
    gauge(families, name, help, label_role(role), whole(seq));
}

static void histogram_metrics(json_t *families, const char *object, const histogram_t *h, role_t role,
                              histogram_copy_t *copy)
{
    const measure_t   m      = measure_of(object, h->unit);
    const uint64_t    newest = histogram_epoch_newest(h);
    histogram_epoch_t now = {0}, before = {0};
    histogram_copy(h, copy);
    summary_metric(families, object, &m, role, copy);
    maximum_metrics(families, &m, role, "max", "since the start of the role", copy->max, copy->max_seq);
    histogram_epoch_at(h, newest, &now);
    if (histogram_epoch_at(h, newest - 1, &before) == ERR_OK && before.max > now.max) {
        now = before;
    }
    maximum_metrics(families, &m, role, "recent_max", "of the last 10 to 20 seconds", now.max, now.max_seq);
}

static void histograms_metrics(json_t *families, const attach_t *a, role_t role)
{
    histogram_copy_t     *copy = malloc(sizeof *copy);
    const segment_head_t *head = a->role[role].head;
    for (uint32_t i = 0; copy && head && i < head->object_count && i < SEGMENT_OBJECTS_MAX; i++) {
        const char        *name  = head->objects[i].name;
        const histogram_t *h     = NULL;
        size_t             bytes = 0;
        const void        *mem   = segment_find(&a->role[role], name, SEGMENT_HISTOGRAM, &bytes);
        if (mem && histogram_join(mem, bytes, &h) == ERR_OK) {
            histogram_metrics(families, name, h, role, copy);
        }
    }
    free(copy);
}

/* ---- rings ----------------------------------------------------------------------------------------------------------- */
static json_t *label_ring(const json_t *ring, bool reader)
{
    json_t *labels = json_object();
    json_object_set(labels, "ring", json_object_get(ring, "ring"));
    json_object_set(labels, "kind", json_object_get(ring, "kind"));
    json_object_set(labels, "writer", json_object_get(ring, "writer"));
    if (reader) {
        json_object_set(labels, "reader", json_object_get(ring, "reader"));
    }
    return labels;
}

static void ring_metrics(json_t *families, const json_t *ring)
{
    static const struct {
        const char *key, *name, *type, *help;
        bool        reader; /* a fact about its reader; null without one */
    } facts[] = {
        {"slots", "hwal_ring_slots", "gauge", "slots of the ring", false},
        {"written", "hwal_ring_written_total", "counter", "messages written to the ring", false},
        {"taken", "hwal_ring_taken_total", "counter", "messages that the ring's reader is done with", true},
        {"lag", "hwal_ring_behind", "gauge",
         "messages that the ring's reader is behind its writer; of a lossless ring: slots in use", true},
        {"lost", "hwal_ring_lost_total", "counter", "messages of broadcast rings that the reader lost", true},
    };
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        const json_t *value = json_object_get(ring, facts[i].key);
        if (json_is_integer(value)) {
            sample_add(samples_of(families, facts[i].name, facts[i].type, facts[i].help), facts[i].name,
                       label_ring(ring, facts[i].reader), whole((uint64_t)json_integer_value(value)));
        }
    }
}

/* ---- the view -------------------------------------------------------------------------------------------------------- */
static role_t role_named(const char *name)
{
    uint32_t r = 0;
    while (r < ROLE_COUNT && strcmp(topology_role_name((role_t)r), name) != 0) {
        r++;
    }
    return (role_t)r;
}

static json_t *view_metrics(attach_t *a)
{
    json_t *view = view_head(a), *families = json_array(), *status = view_status(a), *row;
    size_t  i;
    gauge(families, "hwal_up", "1 while the engine's heartbeat is younger than 2 s", json_object(),
          whole(!attach_stale(a)));
    json_array_foreach(json_object_get(status, "roles"), i, row)
    {
        const role_t role = role_named(json_string_value(json_object_get(row, "role")));
        role_metrics(families, a, role, json_string_value(json_object_get(row, "state")));
        counter_metrics(families, a, role);
        histograms_metrics(families, a, role);
    }
    json_array_foreach(json_object_get(status, "rings"), i, row)
    {
        ring_metrics(families, row);
    }
    json_decref(status);
    json_object_set_new(view, "families", families);
    return view;
}

/* ---- Prometheus ------------------------------------------------------------------------------------------------------ */
/* escaped: backslash and line feed everywhere, quotation marks in a label's value. */
static void escaped(FILE *to, const char *text, bool label)
{
    for (; *text; text++) {
        if (*text == '\n') {
            fputs("\\n", to);
        } else {
            fputs(*text == '\\' || (label && *text == '"') ? "\\" : "", to);
            fputc(*text, to);
        }
    }
}

static void sample_text(FILE *to, const char *instance, json_t *sample)
{
    const char *name;
    json_t     *value;
    fprintf(to, "%s{instance=\"", json_string_value(json_object_get(sample, "name")));
    escaped(to, instance, true);
    fputc('"', to);
    json_object_foreach(json_object_get(sample, "labels"), name, value)
    {
        fprintf(to, ",%s=\"", name);
        escaped(to, json_string_value(value), true);
        fputc('"', to);
    }
    fprintf(to, "} %s\n", json_string_value(json_object_get(sample, "value")));
}

static void metrics_text(FILE *to, const json_t *view)
{
    const char *instance = json_string_value(json_object_get(view, "instance"));
    size_t      i, k;
    json_t     *family, *sample;
    json_array_foreach(json_object_get(view, "families"), i, family)
    {
        const char *name = json_string_value(json_object_get(family, "name"));
        fprintf(to, "# HELP %s ", name);
        escaped(to, json_string_value(json_object_get(family, "help")), false);
        fprintf(to, "\n# TYPE %s %s\n", name, json_string_value(json_object_get(family, "type")));
        json_array_foreach(json_object_get(family, "samples"), k, sample)
        {
            sample_text(to, instance, sample);
        }
    }
}

/* ---- the command ----------------------------------------------------------------------------------------------------- */
static int usage(FILE *to)
{
    fputs(
        "usage: hwal metrics [--prometheus | --json] [OPTIONS]\n\n"
        "Counters, gauges, rings and latencies of an instance for a monitoring system: Prometheus text exposition\n"
        "format 0.0.4 (the default), or JSON with the same families and samples. Names, units and help come from the\n"
        "instance itself.\n" ATTACH_HELP "  --prometheus      the text format (default)\n\n"
        "examples:\n"
        "  hwal metrics\n"
        "  hwal metrics --instance demo >/var/lib/prometheus/node-exporter/hwal.prom   # textfile collector\n"
        "  hwal metrics --json | jq -r '.families[] | select(.type == \"counter\") | .name'\n",
        to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

int command_metrics(int argc, char **argv)
{
    static const struct option options[]  = {ATTACH_OPTIONS, {"prometheus", no_argument, NULL, 'p'}, {0}};
    bool                       prometheus = false;
    attach_args_t              args;
    attach_t                   a;
    attach_args(&args);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'h') {
            return usage(stdout);
        }
        prometheus = prometheus || c == 'p';
        if (c != 'p' && !attach_option(&args, c)) {
            return command_unknown("metrics", argv);
        }
    }
    if (optind < argc) {
        return command_error("metrics", EXIT_USAGE, "%s: takes no argument (--help)", argv[optind]);
    }
    if ((prometheus && args.json) || args.csv) {
        return command_error("metrics", EXIT_USAGE, "--prometheus or --json, one of them, and no --csv");
    }
    const int rc = attach_begin("metrics", &args, &a);
    if (rc != EXIT_OK) {
        return rc;
    }
    json_t *view = view_metrics(&a);
    if (args.json) {
        table_json(stdout, view);
    } else {
        metrics_text(stdout, view);
    }
    json_decref(view);
    return attach_end("metrics", &a);
}
