/* hwal limits history and diff: what the AUDIT records of the journal say of limits, and what a file says against what is in
 * force. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/role.h"
#include "tools/audit.h"
#include "tools/command.h"
#include "tools/config.h"
#include "tools/describe.h"
#include "tools/desk.h"
#include "tools/limits.h"
#include "tools/views.h"

typedef struct walk {
    attach_t     *a;      /* for scales and symbols; what is not known there stays a number */
    limit_scope_t only;   /* type NONE = every scope */
    uint32_t      above;  /* versions above it, */
    uint32_t      to;     /* and up to this one */
    uint32_t      newest; /* version */
    bool          all;    /* overrides and refusals, too */
    json_t       *rows;
} walk_t;

static int journal_dir(const limits_cmd_t *k, const attach_t *a, char *out, size_t cap)
{
    config_t *config = NULL;
    if (k->dir) {
        snprintf(out, cap, "%s", k->dir);
        return EXIT_OK;
    }
    setenv("HWAL_INSTANCE", a->instance, 1);
    err_t err = config_load(k->config, &config);
    err       = err ? err : config_state_dir(config, out, cap);
    config_free(config);
    return err ? command_error("limits", EXIT_USAGE, "%s", err_msg()) : EXIT_OK;
}

static bool of_limits(const audit_t *a)
{
    return (a->kind >= AUDIT_LIMIT && a->kind <= AUDIT_OVERRIDE_ENDED) || a->kind == AUDIT_REFUSED;
}

static bool wanted(const walk_t *w, const audit_t *a)
{
    const bool here = w->only.type == SCOPE_NONE || (w->only.type == (scope_t)a->scope_type &&
                                                     w->only.id1 == a->scope_id && w->only.id2 == a->scope_id2);
    return of_limits(a) && here && a->version > w->above && a->version <= w->to && (w->all || a->kind != AUDIT_REFUSED);
}

static json_t *row_of(const walk_t *w, const audit_entry_t *entry)
{
    const audit_t      *a     = &entry->audit;
    const limit_scope_t scope = limits_symbol(w->a, a->scope_type, a->scope_id, a->scope_id2);
    const limit_scale_t scale = limits_scale(w->a, &scope);
    const bool          named = a->kind != AUDIT_REFUSED && a->field < RISK_FIELD_COUNT;
    char                text[64];
    json_t             *row = json_object();
    describe_time(a->utc_ns, text);
    json_object_set_new(row, "utc", json_string(text));
    json_object_set_new(row, "user",
                        a->lane_id || a->user_id ? command_text(audit_user(a->user_id, text))
                                                 : json_string("configuration"));
    json_object_set_new(row, "kind", json_string(audit_kind_str(a->kind)));
    json_object_set_new(row, "change_id", table_u64(a->change_id));
    json_object_set_new(row, "scope", command_text(limit_scope_format(&scope, text)));
    json_object_set_new(row, "field",
                        named                      ? json_string(risk_field_name(a->field))
                        : a->kind == AUDIT_REFUSED ? json_string(audit_refusal(a))
                                                   : json_null());
    json_object_set_new(row, "old",
                        named ? json_string(limit_value_format(a->field, a->old_value, scale, text)) : json_null());
    json_object_set_new(row, "new",
                        named ? json_string(limit_value_format(a->field, a->new_value, scale, text)) : json_null());
    json_object_set_new(row, "version", json_integer(a->version));
    json_object_set_new(row, "reason", command_text(entry->reason));
    return row;
}

static err_t history_each(void *ctx, const audit_entry_t *entry)
{
    const walk_t *w = ctx;
    if (wanted(w, &entry->audit)) {
        json_array_append_new(w->rows, row_of(w, entry));
    }
    return ERR_OK;
}

static int print(const limits_cmd_t *k, const attach_t *a, const char *name, const column_t *columns, size_t count,
                 json_t *rows)
{
    if (k->args.json) {
        json_t *view = view_head(a);
        json_object_set(view, name, rows);
        table_json(stdout, view);
        json_decref(view);
    } else if (json_array_size(rows) == 0) {
        puts(strcmp(name, "history") == 0 ? "no limit was changed" : "no difference");
    } else {
        table_text(stdout, columns, count, rows, command_colour(stdout));
    }
    return EXIT_OK;
}

int limits_history(const limits_cmd_t *k, char **words, int count)
{
    static const column_t columns[] = {{"utc", "utc", COLUMN_TEXT},           {"user", "user", COLUMN_TEXT},
                                       {"kind", "kind", COLUMN_TEXT},         {"change_id", "change", COLUMN_NUMBER},
                                       {"scope", "scope", COLUMN_TEXT},       {"field", "limit", COLUMN_TEXT},
                                       {"old", "old", COLUMN_NUMBER},         {"new", "new", COLUMN_NUMBER},
                                       {"version", "version", COLUMN_NUMBER}, {"reason", "reason", COLUMN_TEXT}};
    static attach_t       a;
    char                  dir[4096];
    int                   rc = attach_begin("limits", &k->args, &a);
    if (rc != EXIT_OK) {
        return rc;
    }
    walk_t w = {.a = &a, .above = k->from ? k->from - 1 : 0, .to = k->to, .all = true, .rows = json_array()};
    if (count > 1 || (count == 1 && limits_scope(&a, words[0], strlen(words[0]), &w.only) != ERR_OK)) {
        rc = command_error("limits", EXIT_USAGE, "history: %s", count > 1 ? "one SCOPE at most" : err_msg());
    } else if ((rc = journal_dir(k, &a, dir, sizeof dir)) == EXIT_OK) {
        rc = audit_walk(dir, history_each, &w) == ERR_OK ? print(k, &a, "history", columns, 10, w.rows)
                                                         : command_error("limits", EXIT_FINDING, "%s", err_msg());
    }
    json_decref(w.rows);
    attach_close(&a);
    return rc;
}

/* ---- diff ---------------------------------------------------------------------------------------------------------------- */
static const column_t diff_columns[] = {{"scope", "scope", COLUMN_TEXT},
                                        {"field", "limit", COLUMN_TEXT},
                                        {"old", "old", COLUMN_NUMBER},
                                        {"new", "new", COLUMN_NUMBER}};

static bool same_text(const json_t *x, const json_t *y, const char *key)
{
    return json_equal(json_object_get(x, key), json_object_get(y, key));
}

/* Between two versions: of each limit its value before the first change and behind the last; what came back is none. */
static err_t diff_each(void *ctx, const audit_entry_t *entry)
{
    walk_t       *w = ctx;
    size_t        i;
    json_t       *row;
    const uint8_t kind = entry->audit.kind;
    w->newest          = entry->audit.version > w->newest ? entry->audit.version : w->newest;
    if (!wanted(w, &entry->audit) ||
        (kind != AUDIT_LIMIT && kind != AUDIT_OVERRIDE_APPROVED && kind != AUDIT_OVERRIDE_ENDED)) {
        return ERR_OK;
    }
    json_t *now = row_of(w, entry);
    json_array_foreach(w->rows, i, row)
    {
        if (same_text(row, now, "scope") && same_text(row, now, "field")) {
            json_object_set(row, "new", json_object_get(now, "new"));
            json_decref(now);
            return ERR_OK;
        }
    }
    json_array_append_new(w->rows, now);
    return ERR_OK;
}

static int diff_versions(const limits_cmd_t *k)
{
    static attach_t a;
    char            dir[4096];
    int             rc = attach_begin("limits", &k->args, &a);
    if (rc != EXIT_OK) {
        return rc;
    }
    walk_t w = {.a = &a, .above = k->from, .to = k->to, .rows = json_array()};
    if ((rc = journal_dir(k, &a, dir, sizeof dir)) == EXIT_OK && audit_walk(dir, diff_each, &w) != ERR_OK) {
        rc = command_error("limits", EXIT_FINDING, "%s", err_msg());
    }
    const counters_t *c   = attach_counters(&a, ROLE_ENGINE);
    const uint32_t    now = c ? (uint32_t)counter_get(c, COUNTER_LIMITS_VERSION) : 0; /* set-up leaves no audits */
    w.newest              = now > w.newest ? now : w.newest;
    if (rc == EXIT_OK && (k->from > w.newest || (k->to > w.newest && k->to != UINT32_MAX))) {
        rc = command_error("limits", EXIT_USAGE, "diff: version %u: the newest is %u",
                           k->from > w.newest ? k->from : k->to, w.newest);
    }
    for (size_t i = json_array_size(w.rows); rc == EXIT_OK && i-- > 0;) {
        json_t *row = json_array_get(w.rows, i);
        if (json_equal(json_object_get(row, "old"), json_object_get(row, "new"))) {
            json_array_remove(w.rows, i);
        }
    }
    if (rc == EXIT_OK) {
        print(k, &a, "diff", diff_columns, 4, w.rows);
        rc = json_array_size(w.rows) ? EXIT_FINDING : EXIT_OK;
    }
    json_decref(w.rows);
    attach_close(&a);
    return rc;
}

/* The value of one field in force; false: there is none. */
static bool value_now(desk_t *d, const limits_value_t *v, int64_t *out)
{
    const limit_change_t ask   = {.change_id  = 1,
                                  .scope_id   = v->scope.id1,
                                  .scope_id2  = v->scope.id2,
                                  .scope_type = (uint8_t)v->scope.type,
                                  .step       = LIMIT_STEP_GET};
    const int64_t        until = role_mono_ns() + DESK_ANSWER_NS;
    bool                 found = false;
    hwal_message_t       m;
    if (hwal_lane_limit(d->lane, &ask, "diff") != HWAL_OK) {
        return false;
    }
    while (role_mono_ns() < until && desk_next(d, until - role_mono_ns(), &m)) {
        const audit_t *answer = m.body;
        if (m.type == MSG_AUDIT && answer->kind == AUDIT_VALUE) {
            if (answer->field == LIMITS_FIELDS_END) {
                return found;
            }
            found = found || answer->field == v->field;
            *out  = answer->field == v->field ? answer->new_value : *out;
        }
    }
    return false;
}

static int diff_file(const limits_cmd_t *k, const char *file)
{
    static limits_list_t list;
    desk_t               d;
    int                  rc = desk_open(&d, "limits", &k->args, k->client);
    if (rc != EXIT_OK) {
        return rc;
    }
    json_t *rows = json_array();
    if (limits_file(d.a, file, &list) != ERR_OK) {
        rc = command_error("limits", EXIT_USAGE, "%s", err_msg());
    }
    for (uint32_t i = 0; rc == EXIT_OK && i < list.count; i++) {
        const limits_value_t *v     = &list.values[i];
        const limit_scale_t   scale = limits_scale(d.a, &v->scope);
        char                  text[LIMIT_TEXT_MAX];
        int64_t               now   = 0;
        const bool            there = value_now(&d, v, &now);
        if (there && now == v->value) {
            continue;
        }
        json_t *row = json_object();
        json_object_set_new(row, "scope", command_text(limit_scope_format(&v->scope, text)));
        json_object_set_new(row, "field", json_string(risk_field_name(v->field)));
        json_object_set_new(row, "old",
                            there ? json_string(limit_value_format(v->field, now, scale, text)) : json_null());
        json_object_set_new(row, "new", json_string(limit_value_format(v->field, v->value, scale, text)));
        json_array_append_new(rows, row);
    }
    if (rc == EXIT_OK) {
        print(k, d.a, "diff", diff_columns, 4, rows);
        rc = json_array_size(rows) ? EXIT_FINDING : EXIT_OK;
    }
    json_decref(rows);
    desk_close(&d);
    return rc;
}

int limits_diff(const limits_cmd_t *k, char **words, int count)
{
    if (count == 1 && k->from == 0) {
        return diff_file(k, words[0]);
    }
    if (count == 0 && k->from > k->to) {
        return command_error("limits", EXIT_USAGE, "diff: --from %u is above --to %u", k->from, k->to);
    }
    return count == 0 && k->from
               ? diff_versions(k)
               : command_error("limits", EXIT_USAGE,
                               "diff: FILE (against what is in force), or --from VERSION [--to VERSION]");
}
