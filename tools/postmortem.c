/* hwal postmortem: what an instance left, from its segments alone: living, dying or dead. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command.h"
#include "tools/views.h"

#define EVENTS 20u
#define LOG_LINES 5u
#define LIVES_MAX 4u /* engines of earlier lives that are shown in full, newest first */

static int usage(FILE *to)
{
    fputs("usage: hwal postmortem [OPTIONS]\n\n"
          "What happened: each role's last state, exit and words; the last 20 events, open orders, positions and "
          "accounts of\n"
          "the newest engine and of those that died before it (evidence, until `hwal segments gc`); how far rings and\n"
          "journal were. Reads segments alone: it works while all live and when nobody does.\n" ATTACH_HELP "\n"
          "examples:\n"
          "  hwal postmortem\n"
          "  hwal postmortem --json | jq '.evidence[] | {segment, state, open: (.orders | length)}'\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

static void put_engine(json_t *o, attach_t *a)
{
    json_t *orders = view_orders(a, false), *positions = view_positions(a);
    json_object_set_new(o, "events", view_events(a, VIEW_EVENT_ANY, EVENTS));
    json_object_set(o, "orders", json_object_get(orders, "orders"));
    json_object_set(o, "positions", json_object_get(positions, "positions"));
    json_object_set(o, "accounts", json_object_get(positions, "accounts"));
    json_decref(orders);
    json_decref(positions);
}

static json_t *logs(attach_t *a)
{
    json_t *list = json_array();
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        json_t *lines = view_log(a, (role_t)r, LOG_LINES);
        json_array_extend(list, lines);
        json_decref(lines);
    }
    return list;
}

/* life: a segment that is not a role's current one. Of an engine with all that it knew. */
static json_t *life(const attach_t *a, const attach_file_t *file, bool full)
{
    static attach_t b;
    json_t         *o = json_object();
    json_object_set_new(o, "segment", json_string(file->name));
    json_object_set_new(o, "role", json_string(topology_role_name(file->role)));
    json_object_set_new(o, "gen", table_u64(file->gen));
    segment_t   seg = {.fd = -1};
    const err_t err = segment_open(a->dir_fd, file->name, a->uid, false, &seg);
    if (err != ERR_OK) {
        json_object_set_new(o, "fault", command_text(err_msg()));
        return o;
    }
    size_t                bytes   = 0;
    const control_page_t *control = segment_find(&seg, "control", SEGMENT_CONTROL, &bytes);
    control                       = bytes >= sizeof *control ? control : NULL;
    json_object_set_new(o, "epoch", table_u64(seg.head->epoch));
    json_object_set_new(o, "pid", json_integer(seg.head->pid));
    json_object_set_new(o, "state", control ? json_string(role_state_str(atomic_load(&control->state))) : json_null());
    json_object_set_new(o, "exit_code", control ? table_u64(atomic_load(&control->exit_code)) : json_null());
    segment_close(&seg);
    if (file->role == ROLE_ENGINE && full && attach_open(&b, a->instance, a->uid) == ERR_OK) {
        if (attach_engine(&b, file->name) == ERR_OK) {
            put_engine(o, &b);
            json_object_set_new(o, "log", view_log(&b, ROLE_ENGINE, LOG_LINES));
        }
        attach_close(&b);
    }
    return o;
}

static json_t *evidence(const attach_t *a)
{
    json_t        *list  = json_array();
    attach_file_t *files = calloc(ATTACH_FILES_MAX, sizeof *files);
    const uint32_t count = files ? attach_files(a->dir_fd, files, ATTACH_FILES_MAX) : 0;
    uint32_t       lives = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(files[i].name, a->file[files[i].role]) != 0) {
            lives += files[i].role == ROLE_ENGINE;
            json_array_append_new(list, life(a, &files[i], lives <= LIVES_MAX));
        }
    }
    free(files);
    return list;
}

static json_t *postmortem(attach_t *a)
{
    json_t *view = view_status(a);
    json_object_set_new(view, "segment", a->role[ROLE_ENGINE].head ? json_string(a->file[ROLE_ENGINE]) : json_null());
    put_engine(view, a);
    json_object_set_new(view, "log", logs(a));
    json_object_set_new(view, "evidence", evidence(a));
    return view;
}

/* ---- text ------------------------------------------------------------------------------------------------------------ */
static const column_t event_columns[] = {
    {"seq", "seq", COLUMN_NUMBER},          {"type", "type", COLUMN_TEXT},
    {"symbol", "symbol", COLUMN_TEXT},      {"cl_ord_id", "ClOrdID", COLUMN_NUMBER},
    {"action", "action", COLUMN_TEXT},      {"exec_type", "ExecType", COLUMN_TEXT},
    {"side", "side", COLUMN_TEXT},          {"px", "px", COLUMN_NUMBER},
    {"qty", "qty", COLUMN_NUMBER},          {"last_px", "LastPx", COLUMN_NUMBER},
    {"last_qty", "LastQty", COLUMN_NUMBER}, {"code_name", "verdict", COLUMN_TEXT},
    {"kind", "alarm", COLUMN_TEXT},
};
static const column_t log_columns[] = {{"role", "role", COLUMN_TEXT},
                                       {"level", "level", COLUMN_TEXT},
                                       {"count", "times", COLUMN_NUMBER},
                                       {"text", "text", COLUMN_TEXT}};
#define COLUMNS(list) (list), sizeof(list) / sizeof((list)[0])

static void engine_text(FILE *to, const json_t *o, bool colour)
{
    table_title(to, "Last events", colour);
    table_text(to, COLUMNS(event_columns), json_object_get(o, "events"), colour);
    table_title(to, "Open orders", colour);
    view_orders_text(to, o, colour);
    table_title(to, "Accounts and positions", colour);
    view_positions_text(to, o, colour);
    table_title(to, "Log", colour);
    table_text(to, COLUMNS(log_columns), json_object_get(o, "log"), colour);
}

static void postmortem_text(FILE *to, const json_t *view, bool colour)
{
    size_t  i;
    json_t *o;
    view_status_text(to, view, colour);
    engine_text(to, view, colour);
    json_array_foreach(json_object_get(view, "evidence"), i, o)
    {
        const char *name  = json_string_value(json_object_get(o, "segment"));
        const char *fault = json_string_value(json_object_get(o, "fault")),
                   *state = json_string_value(json_object_get(o, "state"));
        fprintf(to, "\n%s==== evidence: %s, %s%s\n", colour ? TABLE_BOLD : "", name,
                fault   ? fault
                : state ? state
                        : "-",
                colour ? TABLE_PLAIN : "");
        if (json_object_get(o, "events")) {
            engine_text(to, o, colour);
        }
    }
}

int command_postmortem(int argc, char **argv)
{
    static const struct option options[] = {ATTACH_OPTIONS, {0}};
    static attach_t            a;
    attach_args_t              args;
    attach_args(&args);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'h') {
            return usage(stdout);
        }
        if (!attach_option(&args, c)) {
            return command_unknown("postmortem", argv);
        }
    }
    if (optind < argc) {
        return command_error("postmortem", EXIT_USAGE, "%s: takes no argument (--help)", argv[optind]);
    }
    const int rc = attach_begin("postmortem", &args, &a);
    if (rc != EXIT_OK) {
        return rc;
    }
    json_t *view = postmortem(&a);
    if (args.json) {
        table_json(stdout, view);
    } else {
        postmortem_text(stdout, view, command_colour(stdout));
    }
    json_decref(view);
    attach_close(&a); /* evidence is what was asked for: a silent engine is no failure here */
    return EXIT_OK;
}
