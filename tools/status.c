/* hwal status: is it up, in which state, how full are its rings, how far is its journal? */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/types/decimal.h"
#include "ipc/role.h"
#include "tools/command.h"
#include "tools/views.h"

static bool runs(uint32_t state)
{
    return state == ROLE_BOOT || state == ROLE_RECOVERING || state == ROLE_RUN || state == ROLE_STOPPING;
}

/* role_word: the state that its control page says, unless its process is gone without having said so. */
static const char *role_word(const attach_t *a, role_t role)
{
    const control_page_t *control = attach_control(a, role);
    const uint32_t state = control ? atomic_load_explicit(&control->state, memory_order_acquire) : ROLE_STATE_NONE;
    return runs(state) && a->row_known[role] && !attach_alive(a, role) ? "DEAD" : role_state_str(state);
}

/* is it a part of this instance? By the table; without one, whoever left a segment. */
static bool present(const attach_t *a, role_t role)
{
    return a->row_known[role] && (role != ROLE_SUPERVISOR || a->row[role].status != ROLE_STATUS_NONE)
               ? a->row[role].status != ROLE_STATUS_NONE
               : a->role[role].head != NULL;
}

static const char *whole(const attach_t *a)
{
    const char *engine = role_word(a, ROLE_ENGINE), *word = engine;
    if (strcmp(engine, "RUN") != 0) {
        const bool nobody = strcmp(role_word(a, ROLE_SUPERVISOR), "DEAD") == 0; /* who would start it again */
        return strcmp(engine, "NONE") == 0   ? "STARTING"
               : strcmp(engine, "DEAD") != 0 ? engine
               : nobody                      ? "DEAD"
                                             : "DEGRADED";
    }
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        const char *role = role_word(a, (role_t)r);
        if (!present(a, (role_t)r) || strcmp(role, "RUN") == 0) {
            continue;
        }
        const bool starts = strcmp(role, "BOOT") == 0 || strcmp(role, "RECOVERING") == 0 || strcmp(role, "NONE") == 0;
        word              = starts && strcmp(word, "DEGRADED") != 0 ? "STARTING" : "DEGRADED";
    }
    return word;
}

/* cpu_ms: user and system time of a process so far (fields 14 and 15 of its stat); -1 = not to be seen. */
static int64_t cpu_ms(int32_t pid)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = pid > 0 ? fopen(path, "re") : NULL;
    if (!f) {
        return -1;
    }
    const size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n]         = '\0';
    const char *c   = strrchr(text, ')'); /* the name in brackets may hold anything */
    int64_t     sum = 0;
    for (int field = 2; c && field < 15; field++) {
        int64_t ticks = 0;
        c             = strchr(c + 1, ' ');
        if (c && field >= 13 && decimal_parse(c + 1, strcspn(c + 1, " "), 0, &ticks) != ERR_OK) {
            return -1;
        }
        sum += ticks;
    }
    return c ? sum * 1000 / sysconf(_SC_CLK_TCK) : -1;
}

static json_t *known_or_null(int64_t value)
{
    return value < 0 ? json_null() : json_integer(value);
}

static json_t *counters_json(const attach_t *a, role_t role)
{
    const counters_t *c = attach_counters(a, role);
    json_t           *o = json_object();
    counter_row_t     row; /* by the segment's own catalogue: whatever build its role is of */
    uint64_t          value;
    err_t             err = c ? ERR_OK : ERR_NOT_FOUND;
    for (uint32_t i = 0; err != ERR_NOT_FOUND; i++) {
        if ((err = counters_at(c, i, &row, &value)) == ERR_OK) {
            json_object_set_new(o, row.name, table_u64(value));
        }
    }
    return o;
}

static json_t *role_json(const attach_t *a, role_t role)
{
    const control_page_t *c     = attach_control(a, role);
    const segment_head_t *head  = a->role[role].head;
    const role_row_t     *row   = &a->row[role];
    const bool            known = a->row_known[role] && row->status != ROLE_STATUS_NONE;
    const int32_t         pid   = known ? row->pid : head ? head->pid : 0;
    const int64_t         age   = attach_age_ns(a, role);
    json_t               *o     = json_object();
    json_object_set_new(o, "role", json_string(topology_role_name(role)));
    json_object_set_new(o, "pid", json_integer(pid));
    json_object_set_new(o, "state", json_string(role_word(a, role)));
    json_object_set_new(o, "status", json_string(known ? role_status_str(row->status) : "UNKNOWN"));
    json_object_set_new(o, "gen", table_u64(head ? head->gen : row->gen));
    json_object_set_new(o, "epoch", table_u64(c ? atomic_load_explicit(&c->epoch, memory_order_relaxed) : row->epoch));
    json_object_set_new(o, "restarts", table_u64(row->restarts));
    json_object_set_new(o, "last_exit", json_integer(row->last_exit));
    json_object_set_new(o, "adopted", json_boolean(row->adopted));
    json_object_set_new(o, "segment", head ? json_string(a->file[role]) : json_null());
    json_object_set_new(o, "heartbeat_age_ms", known_or_null(age < 0 ? -1 : age / NS_PER_MS));
    const int64_t started = c ? atomic_load_explicit(&c->started_mono_ns, memory_order_relaxed) : 0;
    json_object_set_new(o, "uptime_ms", started ? json_integer((role_mono_ns() - started) / NS_PER_MS) : json_null());
    json_object_set_new(o, "cpu_ms", known_or_null(attach_alive(a, role) ? cpu_ms(pid) : -1));
    json_object_set_new(o, "turn_max_ns",
                        c ? json_integer(atomic_load_explicit(&c->turn_max_ns, memory_order_relaxed)) : json_null());
    json_object_set_new(o, "spinning",
                        json_boolean(c && atomic_load_explicit(&c->spinning, memory_order_relaxed) != 0));
    json_object_set_new(o, "progress",
                        c ? table_u64(atomic_load_explicit(&c->progress, memory_order_relaxed)) : json_null());
    json_object_set_new(o, "progress_all",
                        c ? table_u64(atomic_load_explicit(&c->progress_all, memory_order_relaxed)) : json_null());
    json_object_set_new(o, "counters", counters_json(a, role));
    return o;
}

/* ---- rings ---------------------------------------------------------------------------------------------------------- */
static void put_positions(json_t *o, uint64_t slots, uint64_t written, const ring_cursor_t *cursor, bool lossless)
{
    const uint64_t at    = cursor ? atomic_load_explicit(&cursor->taken, memory_order_acquire) : 0;
    const uint64_t taken = at > written ? written : at; /* of the ring before, just after a restart */
    json_object_set_new(o, "slots", table_u64(slots));
    json_object_set_new(o, "written", table_u64(written));
    json_object_set_new(o, "taken", cursor ? table_u64(taken) : json_null());
    json_object_set_new(o, "lag", cursor ? table_u64(written - taken) : json_null());
    json_object_set_new(o, "fill_percent",
                        cursor && lossless ? table_u64((written - taken) * 100 / slots) : json_null());
}

static json_t *ring_json(const attach_t *a, ring_id_t id)
{
    const ring_row_t    *row    = topology_ring(id);
    const ring_cursor_t *cursor = attach_cursor(a, row->reader, id);
    lossless_reader_t    lossless;
    ring_reader_t        broadcast;
    size_t               bytes = 0;
    const void          *mem =
        a->role[row->writer].head ? segment_find(&a->role[row->writer], row->object, row->kind, &bytes) : NULL;
    if (!mem) {
        return NULL;
    }
    json_t *o = json_object();
    json_object_set_new(o, "ring", json_string(row->name));
    json_object_set_new(o, "kind", json_string(row->kind == SEGMENT_LOSSLESS ? "lossless" : "broadcast"));
    json_object_set_new(o, "writer", json_string(topology_role_name(row->writer)));
    json_object_set_new(o, "reader",
                        row->reader < ROLE_COUNT ? json_string(topology_role_name(row->reader)) : json_null());
    if (row->kind == SEGMENT_LOSSLESS && lossless_reader_join(&lossless, mem, bytes, NULL, 0) == ERR_OK) {
        put_positions(o, lossless.mask + 1, lossless_written(&lossless), cursor, true);
    } else if (row->kind == SEGMENT_BROADCAST && ring_reader_join(&broadcast, mem, bytes, RING_OLDEST) == ERR_OK) {
        put_positions(o, broadcast.mask + 1, ring_tail(broadcast.ring), cursor, false);
    } else {
        json_decref(o); /* damaged */
        return NULL;
    }
    const counters_t *c =
        row->kind == SEGMENT_BROADCAST && row->reader < ROLE_COUNT ? attach_counters(a, row->reader) : NULL;
    json_object_set_new(o, "lost", c ? table_u64(counter_get(c, COUNTER_MD_LOST)) : json_null());
    return o;
}

static json_t *journal_json(const attach_t *a)
{
    const segment_t     *seg     = &a->role[ROLE_JOURNAL];
    const counters_t    *c       = attach_counters(a, ROLE_JOURNAL);
    size_t               bytes   = 0;
    const ring_cursor_t *durable = seg->head ? segment_find(seg, "durable", SEGMENT_CURSORS, &bytes) : NULL;
    json_t              *o = json_object(), *jrn = ring_json(a, RING_ID_JRN);
    char                 dir[sizeof a->table->journal_dir];
    snprintf(dir, sizeof dir, "%.*s", (int)sizeof dir - 1, a->table ? a->table->journal_dir : "");
    json_object_set_new(o, "dir", *dir ? command_text(dir) : json_null());
    json_object_set_new(o, "durability",
                        a->table ? json_string(a->table->durability == DURABILITY_POWER ? "power" : "process")
                                 : json_null());
    json_object_set_new(o, "durable_record",
                        bytes >= sizeof *durable
                            ? table_u64(atomic_load_explicit(&durable->taken, memory_order_acquire))
                            : json_null());
    json_object_set(o, "lag_records", jrn ? json_object_get(jrn, "lag") : json_null());
    json_object_set_new(o, "records", c ? table_u64(counter_get(c, COUNTER_JOURNAL_RECORDS)) : json_null());
    json_object_set_new(o, "bytes", c ? table_u64(counter_get(c, COUNTER_JOURNAL_BYTES)) : json_null());
    json_object_set_new(o, "files", c ? table_u64(counter_get(c, COUNTER_JOURNAL_FILES)) : json_null());
    json_object_set_new(o, "syncs", c ? table_u64(counter_get(c, COUNTER_JOURNAL_SYNCS)) : json_null());
    json_decref(jrn);
    return o;
}

/* ---- kill words ----------------------------------------------------------------------------------------------------- */
static json_t *kill_json(const attach_t *a)
{
    static const char *const scopes[] = {"none", "global", "tenant", "account", "strategy", "instrument", "venue"};
    json_t                  *list     = json_array();
    if (!a->words) {
        return json_null(); /* another user's: 0600 */
    }
    for (uint32_t s = SCOPE_GLOBAL; s <= SCOPE_VENUE; s++) {
        for (uint32_t id = 0; id < WORDS_KILL_IDS; id++) {
            const uint64_t word = atomic_load_explicit(&a->words->kill_set[s][id / 64], memory_order_relaxed);
            if ((word >> id % 64 & 1) != 0) {
                json_t *o = json_object();
                json_object_set_new(o, "scope", json_string(scopes[s]));
                json_object_set_new(o, "id", table_u64(id));
                json_array_append_new(list, o);
            }
        }
    }
    return list;
}

/* ---- lanes of clients: those of the configuration, as they stand or ended last in this life of the engine -------------- */
static json_t *lane_json(const lanes_page_t *page, uint32_t lane_id)
{
    static const char *const states[LANE_STATE_COUNT] = {"NONE", "OPEN", "CLOSED"};
    lane_t                   lane                     = {0};
    char                     name[sizeof page->names[0]];
    json_t                  *o      = json_object();
    const bool               leased = lanes_page_read(page, lane_id, &lane) && lane.state < LANE_STATE_COUNT;
    snprintf(name, sizeof name, "%.*s", (int)sizeof name - 1, page->names[lane_id - 1]);
    json_object_set_new(o, "lane", command_text(name));
    json_object_set_new(o, "id", table_u64(lane_id));
    json_object_set_new(o, "state", json_string(states[leased ? lane.state : LANE_NONE]));
    json_object_set_new(o, "pid", leased ? table_u64(lane.pid) : json_null());
    json_object_set_new(o, "uid", leased ? table_u64(lane.uid) : json_null());
    json_object_set_new(o, "strategy_id", leased ? table_u64(lane.strategy_id) : json_null());
    json_object_set_new(o, "requests",
                        table_u64(atomic_load_explicit(&page->requests[lane_id - 1], memory_order_relaxed)));
    json_object_set_new(o, "reason",
                        leased && lane.state == LANE_CLOSED ? json_string(lane_reason_str((lane_reason_t)lane.reason))
                                                            : json_null());
    return o;
}

static json_t *lanes_json(const attach_t *a)
{
    const lanes_page_t *page = segment_part(&a->role[ROLE_ENGINE], "lanes", SEGMENT_BLOB, sizeof *page);
    json_t             *list = json_array();
    for (uint32_t i = 1; page && i <= ENGINE_LANES_MAX; i++) {
        if (page->names[i - 1][0]) {
            json_array_append_new(list, lane_json(page, i));
        }
    }
    return list;
}

/* ---- what is open ---------------------------------------------------------------------------------------------------- */
static bool open_order(const msg_t *msg)
{
    const order_record_t *o = msg->body;
    return o->cl_ord_id != 0 && view_open(o->ord_status);
}

static bool open_held(const msg_t *msg)
{
    const held_record_t *h = msg->body;
    return h->cl_ord_id != 0 && h->state != HELD_DONE;
}

static bool open_alert(const msg_t *msg)
{
    return ((const alert_t *)msg->body)->state == ALERT_OPEN;
}

/* How many records of that kind are open; null: they cannot be read. */
static json_t *count_json(attach_t *a, record_id_t id, msg_type_t type, bool (*open)(const msg_t *msg))
{
    records_reader_t reader;
    attach_message_t m;
    uint64_t         count = 0;
    if (!attach_records(a, id, &reader)) {
        return json_null();
    }
    for (uint32_t i = 0; i < reader.count; i++) {
        const err_t err = attach_record(a, &reader, i, &m);
        if (err == ERR_END) {
            break;
        }
        count += err == ERR_OK && m.msg.type == type && open(&m.msg);
    }
    return table_u64(count);
}

static json_t *open_json(attach_t *a)
{
    const counters_t *c       = attach_counters(a, ROLE_ENGINE);
    const uint64_t    version = c ? counter_get(c, COUNTER_LIMITS_VERSION) : 0;
    json_t           *o       = json_object();
    json_object_set_new(o, "orders", count_json(a, RECORD_ID_ORDERS, MSG_ORDER, open_order));
    json_object_set_new(o, "held", count_json(a, RECORD_ID_HELD, MSG_HELD_ORDER, open_held));
    json_object_set_new(o, "alerts", count_json(a, RECORD_ID_ALERTS, MSG_ALERT, open_alert));
    json_object_set_new(o, "limits_version", version ? table_u64(version) : json_null());
    return o;
}

json_t *view_status(attach_t *a)
{
    const control_page_t *engine = attach_control(a, ROLE_ENGINE);
    json_t               *view = view_head(a), *roles = json_array(), *rings = json_array();
    char                  session[24] = "";
    json_object_set_new(view, "state", json_string(whole(a)));
    json_object_set_new(view, "epoch",
                        engine ? table_u64(atomic_load_explicit(&engine->epoch, memory_order_relaxed)) : json_null());
    if (a->table) {
        snprintf(session, sizeof session, "%016" PRIx64, a->table->session);
    }
    json_object_set_new(view, "session", *session ? json_string(session) : json_null());
    json_object_set_new(view, "durability",
                        a->table ? json_string(a->table->durability == DURABILITY_POWER ? "power" : "process")
                                 : json_null());
    json_object_set_new(view, "uptime_ms",
                        a->table ? json_integer((role_utc_ns() - a->table->started_utc_ns) / NS_PER_MS) : json_null());
    json_object_set_new(view, "shm_bytes", a->table ? table_u64(a->table->shm_bytes) : json_null());
    json_object_set_new(view, "stopping", a->words ? json_boolean(atomic_load(&a->words->stop)) : json_null());
    json_object_set_new(view, "fence_epoch", a->words ? table_u64(atomic_load(&a->words->fence_epoch)) : json_null());
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        if (present(a, (role_t)r)) {
            json_array_append_new(roles, role_json(a, (role_t)r));
        }
    }
    for (uint32_t i = 0; i < RING_ID_COUNT; i++) {
        json_t *ring = ring_json(a, (ring_id_t)i);
        if (ring) {
            json_array_append_new(rings, ring);
        }
    }
    json_object_set_new(view, "open", open_json(a));
    json_object_set_new(view, "roles", roles);
    json_object_set_new(view, "rings", rings);
    json_object_set_new(view, "journal", journal_json(a));
    json_object_set_new(view, "kill", kill_json(a));
    json_object_set_new(view, "lanes", lanes_json(a));
    return view;
}

/* ---- text ----------------------------------------------------------------------------------------------------------- */
static const column_t role_columns[] = {
    {"role", "role", COLUMN_TEXT},
    {"pid", "pid", COLUMN_NUMBER},
    {"state", "state", COLUMN_STATE},
    {"status", "status", COLUMN_STATE},
    {"gen", "gen", COLUMN_NUMBER},
    {"restarts", "restarts", COLUMN_NUMBER},
    {"heartbeat_age_ms", "heartbeat ms", COLUMN_NUMBER},
    {"uptime_ms", "up ms", COLUMN_NUMBER},
    {"cpu_ms", "cpu ms", COLUMN_NUMBER},
    {"turn_max_ns", "longest turn ns", COLUMN_NUMBER},
};
static const column_t ring_columns[] = {
    {"ring", "ring", COLUMN_TEXT},     {"writer", "writer", COLUMN_TEXT},         {"reader", "reader", COLUMN_TEXT},
    {"slots", "slots", COLUMN_NUMBER}, {"written", "written", COLUMN_NUMBER},     {"taken", "taken", COLUMN_NUMBER},
    {"lag", "lag", COLUMN_NUMBER},     {"fill_percent", "fill %", COLUMN_NUMBER}, {"lost", "lost", COLUMN_NUMBER},
};
static const column_t lane_columns[] = {
    {"lane", "lane", COLUMN_TEXT},           {"id", "id", COLUMN_NUMBER},
    {"state", "state", COLUMN_TEXT},         {"pid", "pid", COLUMN_NUMBER},
    {"uid", "uid", COLUMN_NUMBER},           {"strategy_id", "strategy", COLUMN_NUMBER},
    {"requests", "requests", COLUMN_NUMBER}, {"reason", "ended", COLUMN_TEXT},
};
#define COLUMNS(list) (list), sizeof(list) / sizeof((list)[0])

static void line_of(FILE *to, const char *title, const json_t *object, const char *const *keys, size_t count)
{
    char text[256];
    fprintf(to, "%s", title);
    for (size_t i = 0; i < count; i++) {
        table_cell(keys[i], json_object_get(object, keys[i]), text, sizeof text);
        fprintf(to, "  %s %s", keys[i], text);
    }
    fputc('\n', to);
}

static void counters_text(FILE *to, const json_t *roles)
{
    size_t  i;
    json_t *role;
    json_array_foreach(roles, i, role)
    {
        const char *name;
        json_t     *value;
        fprintf(to, "  %-11s", json_string_value(json_object_get(role, "role")));
        json_object_foreach(json_object_get(role, "counters"), name, value)
        {
            if (json_integer_value(value) != 0) {
                fprintf(to, " %s=%" PRIu64, name, (uint64_t)json_integer_value(value));
            }
        }
        fputc('\n', to);
    }
}

static void open_text(FILE *to, const json_t *open, bool colour)
{
    static const char *const keys[] = {"orders", "held", "alerts", "limits_version"};
    const bool               seen   = json_integer_value(json_object_get(open, "alerts")) == 0;
    line_of(to, "open", open, keys, 2);
    fprintf(to, "%s", colour && !seen ? TABLE_ORANGE : "");
    line_of(to, "    ", open, keys + 2, 2);
}

void view_lanes_text(FILE *to, const json_t *view, bool colour)
{
    if (json_array_size(json_object_get(view, "lanes"))) {
        table_title(to, "Lanes", colour);
        table_text(to, COLUMNS(lane_columns), json_object_get(view, "lanes"), colour);
    }
}

void view_status_text(FILE *to, const json_t *view, bool colour)
{
    static const char *const first[]   = {"epoch", "session", "durability", "uptime_ms", "shm_bytes"};
    static const char *const journal[] = {"dir", "durable_record", "lag_records", "records", "bytes", "files", "syncs"};
    const char              *state     = json_string_value(json_object_get(view, "state"));
    const json_t            *kill      = json_object_get(view, "kill");
    size_t                   i;
    json_t                  *word;
    fprintf(to, "%s  %s%s%s", json_string_value(json_object_get(view, "instance")),
            colour && !table_good(state) ? TABLE_ORANGE : "", state, colour && !table_good(state) ? TABLE_PLAIN : "");
    line_of(to, "", view, first, sizeof first / sizeof first[0]);
    json_array_foreach(kill, i, word)
    {
        fprintf(to, "%sKILLED: %s %" JSON_INTEGER_FORMAT "%s\n", colour ? TABLE_ORANGE : "",
                json_string_value(json_object_get(word, "scope")), json_integer_value(json_object_get(word, "id")),
                colour ? TABLE_PLAIN : "");
    }
    open_text(to, json_object_get(view, "open"), colour);
    table_title(to, "Roles", colour);
    table_text(to, COLUMNS(role_columns), json_object_get(view, "roles"), colour);
    table_title(to, "Rings", colour);
    table_text(to, COLUMNS(ring_columns), json_object_get(view, "rings"), colour);
    table_title(to, "Journal", colour);
    line_of(to, " ", json_object_get(view, "journal"), journal, sizeof journal / sizeof journal[0]);
    view_lanes_text(to, view, colour);
    table_title(to, "Counters", colour);
    counters_text(to, json_object_get(view, "roles"));
}

static int usage(FILE *to)
{
    fputs("usage: hwal status [OPTIONS]\n\n"
          "State of an instance, its roles, rings, journal, lanes and kill words. Exit 0 it lives, 3 there is none, 4\n"
          "its engine is silent (what it left is printed all the same).\n" ATTACH_HELP
          "  --csv             the roles as CSV\n\n"
          "examples:\n"
          "  hwal status\n"
          "  hwal status --instance demo --json | jq -r '.roles[] | [.role, .pid, .state] | @tsv'\n"
          "  until hwal status >/dev/null 2>&1; do sleep 0.2; done   # wait until it is up\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

int command_status(int argc, char **argv)
{
    static const struct option options[] = {ATTACH_OPTIONS, {0}};
    attach_args_t              args;
    attach_t                   a;
    attach_args(&args);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'h') {
            return usage(stdout);
        }
        if (!attach_option(&args, c)) {
            return command_unknown("status", argv);
        }
    }
    if (optind < argc) {
        return command_error("status", EXIT_USAGE, "%s: takes no argument (--help)", argv[optind]);
    }
    const int rc = attach_begin("status", &args, &a);
    if (rc != EXIT_OK) {
        return rc;
    }
    json_t *view = view_status(&a);
    if (args.json) {
        table_json(stdout, view);
    } else if (args.csv) {
        table_csv(stdout, COLUMNS(role_columns), json_object_get(view, "roles"));
    } else {
        view_status_text(stdout, view, command_colour(stdout));
    }
    json_decref(view);
    return attach_end("status", &a);
}
