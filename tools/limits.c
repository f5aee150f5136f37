/* hwal limits: read and change the limits of a live instance, ask for overrides and approve them. */
#include "tools/limits.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/risk/risk_code.h"
#include "ipc/role.h"
#include "tools/audit.h"
#include "tools/command.h"
#include "tools/config.h"
#include "tools/desk.h"
#include "tools/order_spec.h"
#include "tools/views.h"
#include "tools/yaml_load.h"

static int usage(FILE *to)
{
    fputs("usage: hwal limits get [SCOPE...] [--yaml]\n"
          "       hwal limits set SCOPE FIELD=VALUE... [SCOPE FIELD=VALUE...]... --reason TEXT\n"
          "       hwal limits set --file FILE --reason TEXT\n"
          "       hwal limits diff FILE | --from VERSION [--to VERSION]\n"
          "       hwal limits history [SCOPE]\n"
          "       hwal limits ask SCOPE FIELD=VALUE --until TIME --reason TEXT\n"
          "       hwal limits approve|revoke ID --reason TEXT\n\n"
          "A change is all or nothing: one new version between two orders, journaled with who, when, old, new and "
          "reason.\n"
          "Lowering takes effect at once and cancels nothing. Raising needs a client with the right raise; an override "
          "raises\n"
          "one limit until a time, asked for by one user and approved by another.\n\n"
          "  SCOPE   global, tenant:ID, account:ID, strategy:ID, venue:ID, instrument:SYMBOL, and pairs: "
          "account:ID/SYMBOL ...\n"
          "  VALUE   by its unit: exact decimals, 500ms, 60s, 300 or 3% (basis points), off where there is an end that "
          "tests nothing\n"
          "  TIME    UTC: 15:30, 2026-01-31T15:30, +90m\n\n" ATTACH_HELP
          "  --client NAME     whose lane (default operator)\n"
          "  --reason TEXT     1 to 100 bytes, for the journal\n"
          "  --file FILE       YAML: `limits:` and lines \"SCOPE FIELD=VALUE ...\"\n"
          "  --yaml            get: in that form\n"
          "  --dir DIR, --config FILE    history, diff: where the journal is\n\n"
          "exit codes: 0 done (diff: no difference), 1 refused or different, 2 usage, 3 not running, 4 stale\n\n"
          "examples:\n"
          "  hwal limits get account:1 account:1/BTC-USDT\n"
          "  hwal limits set account:1 max_gross=250000 --reason \"less until Monday\"\n"
          "  hwal limits get account:1 --yaml >limits.yaml; hwal limits diff limits.yaml\n"
          "  hwal limits ask account:1 max_gross=500000 --until +30m --reason \"block of a client\"\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

static int fail(int code)
{
    return command_error("limits", code, "%s", err_msg());
}

/* ---- text and numbers of an instance ------------------------------------------------------------------------------------- */
err_t limits_scope(const attach_t *a, const char *text, size_t len, limit_scope_t *out)
{
    const err_t err = limit_scope_parse(text, len, out);
    if (err || !*out->symbol) {
        return err;
    }
    const attach_instrument_t *ins = attach_symbol(a, out->symbol);
    if (!ins) {
        return ERR_NOT_FOUND;
    }
    *(out->type == SCOPE_INSTRUMENT ? &out->id1 : &out->id2) = ins->def.instrument_id;
    memcpy(out->symbol, ins->symbol, sizeof out->symbol);
    return ERR_OK;
}

limit_scope_t limits_symbol(const attach_t *a, uint8_t type, uint32_t id1, uint32_t id2)
{
    limit_scope_t              scope = {.type = (scope_t)type, .id1 = id1, .id2 = id2};
    const attach_instrument_t *ins   = type == SCOPE_INSTRUMENT          ? attach_instrument(a, id1)
                                       : limit_scope_pair((scope_t)type) ? attach_instrument(a, id2)
                                                                         : NULL;
    if (ins) {
        memcpy(scope.symbol, ins->symbol, sizeof scope.symbol);
    }
    return scope;
}

/* An account has figures in its own money: one that is not there has none. */
static err_t account_there(attach_t *a, const limit_scope_t *s)
{
    records_reader_t reader;
    attach_message_t m;
    const bool       named = s->type == SCOPE_ACCOUNT || s->type == SCOPE_ACCOUNT_INSTRUMENT;
    return !named || (attach_records(a, RECORD_ID_ACCOUNTS, &reader) && s->id1 <= reader.count &&
                      attach_record(a, &reader, s->id1 - 1, &m) == ERR_OK && m.msg.type == MSG_ACCOUNT)
               ? ERR_OK
               : err_set(ERR_NOT_FOUND, "no account %u (`hwal positions` lists them)", s->id1);
}

/* Of tenant and firm: that of the first account, in whose currency their sums are said. */
limit_scale_t limits_scale(attach_t *a, const limit_scope_t *s)
{
    limit_scale_t              scale = {-1, -1};
    const attach_instrument_t *ins   = s->type == SCOPE_INSTRUMENT ? attach_instrument(a, s->id1)
                                       : limit_scope_pair(s->type) ? attach_instrument(a, s->id2)
                                                                   : NULL;
    records_reader_t           reader;
    attach_message_t           m;
    const uint32_t             account = s->type == SCOPE_ACCOUNT ? s->id1 : 1;
    if (ins) {
        return (limit_scale_t){ins->def.qty_exp, ins->def.money_exp};
    }
    if (attach_records(a, RECORD_ID_ACCOUNTS, &reader) && account >= 1 && account <= reader.count &&
        attach_record(a, &reader, account - 1, &m) == ERR_OK && m.msg.type == MSG_ACCOUNT) {
        scale.money_exp = ((const account_record_t *)m.msg.body)->money_exp;
    }
    return scale;
}

static err_t list_add(attach_t *a, const limit_scope_t *scope, uint32_t field, const char *value, size_t len,
                      limits_list_t *list)
{
    if (list->count == LIMITS_VALUES_MAX) {
        return err_set(ERR_LIMIT, "more than %u values in one change", LIMITS_VALUES_MAX);
    }
    for (uint32_t i = 0; i < list->count; i++) {
        const limits_value_t *v = &list->values[i];
        if (v->field == field && v->scope.type == scope->type && v->scope.id1 == scope->id1 &&
            v->scope.id2 == scope->id2) {
            char text[LIMIT_TEXT_MAX];
            return err_set(ERR_EXISTS, "%s %s is given twice", limit_scope_format(scope, text), risk_field_name(field));
        }
    }
    limits_value_t *to = &list->values[list->count];
    *to                = (limits_value_t){.scope = *scope, .field = field};
    err_t err          = account_there(a, scope);
    err                = err ? err : limit_value_parse(field, value, len, limits_scale(a, scope), &to->value);
    list->count += err == ERR_OK;
    return err;
}

err_t limits_line(attach_t *a, const char *line, limits_list_t *list)
{
    limit_scope_t  written, scope;
    const char    *rest, *value;
    uint32_t       field;
    size_t         len;
    const uint32_t before = list->count;
    err_t          err    = limit_line_scope(line, &written, &rest);
    line += strspn(line, " \t");
    err = err ? err : limits_scope(a, line, (size_t)(rest - line), &scope);
    while (!err && (err = limit_line_next(&scope, &rest, &field, &value, &len)) == ERR_OK) {
        err = list_add(a, &scope, field, value, len, list);
    }
    if (err == ERR_EMPTY) {
        return list->count > before ? ERR_OK : err_set(ERR_ARG, "\"%s\": no FIELD=VALUE behind the scope", line);
    }
    return err;
}

err_t limits_words(attach_t *a, char **words, int count, limits_list_t *list)
{
    limit_scope_t scope = {0};
    err_t         err   = ERR_OK;
    for (int i = 0; !err && i < count; i++) {
        const char *value;
        uint32_t    field;
        if (!strchr(words[i], '=')) {
            err = limits_scope(a, words[i], strlen(words[i]), &scope);
            continue;
        }
        err = scope.type == SCOPE_NONE ? err_set(ERR_ARG, "%s: of which scope? (account:1 %s)", words[i], words[i])
                                       : limit_field_parse(scope.type, words[i], strlen(words[i]), &field, &value);
        err = err ? err : list_add(a, &scope, field, value, strlen(value), list);
    }
    return err || list->count ? err : err_set(ERR_ARG, "no FIELD=VALUE");
}

typedef struct limits_yaml {
    char   **limits;
    unsigned limits_count;
} limits_yaml_t;

static const cyaml_schema_value_t line_schema   = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, 512)};
static const cyaml_schema_field_t file_fields[] = {
    CYAML_FIELD_SEQUENCE("limits", CYAML_FLAG_POINTER, limits_yaml_t, limits, &line_schema, 1, LIMITS_VALUES_MAX),
    CYAML_FIELD_END};
static const cyaml_schema_value_t file_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, limits_yaml_t, file_fields)};

err_t limits_file(attach_t *a, const char *file, limits_list_t *list)
{
    yaml_places_t  places = {0};
    void          *raw    = NULL;
    err_t          err    = yaml_load(file, &file_schema, &raw, &places);
    limits_yaml_t *y      = raw;
    for (unsigned i = 0; !err && i < y->limits_count; i++) {
        err = limits_line(a, y->limits[i], list);
        err = err ? err_wrap(err, "%s line %u", file, yaml_line(&places, "limits", i, "")) : ERR_OK;
    }
    yaml_places_free(&places);
    cyaml_free(&yaml_cfg, &file_schema, raw, 0);
    return err;
}

/* ---- get ----------------------------------------------------------------------------------------------------------------- */
/* What is used of a limit, as far as a record says it; false: none does. */
static bool used_of(desk_t *d, const limit_scope_t *s, uint32_t field, int64_t *out)
{
    account_record_t acc;
    if (s->type != SCOPE_ACCOUNT || !desk_account(d, s->id1, &acc)) {
        return false;
    }
    switch (field) {
    case RISK_FIELD_max_gross: *out = acc.gross; return true;
    case RISK_FIELD_max_net: *out = acc.net < 0 ? -acc.net : acc.net; return true;
    case RISK_FIELD_max_open_value: *out = acc.open_value; return true;
    case RISK_FIELD_max_open_orders: *out = acc.open_orders; return true;
    case RISK_FIELD_max_day_loss: *out = acc.pnl_day < 0 ? -acc.pnl_day : 0; return true;
    case RISK_FIELD_max_drawdown: *out = acc.drawdown; return true;
    default: return false;
    }
}

static json_t *field_row(desk_t *d, const limit_scope_t *scope, const audit_t *answer)
{
    const risk_field_t *f     = risk_field(answer->field);
    const limit_scale_t scale = limits_scale(d->a, scope);
    char                text[LIMIT_TEXT_MAX];
    int64_t             used = 0;
    json_t             *row  = json_object();
    json_object_set_new(row, "scope", command_text(limit_scope_format(scope, text)));
    json_object_set_new(row, "field", json_string(f->name));
    json_object_set_new(row, "value", json_string(limit_value_format(answer->field, answer->new_value, scale, text)));
    json_object_set_new(row, "used",
                        used_of(d, scope, answer->field, &used)
                            ? json_string(limit_value_format(answer->field, used, scale, text))
                            : json_null());
    json_object_set_new(row, "unit", json_string(f->unit));
    json_object_set_new(row, "code", json_integer(f->code));
    json_object_set_new(row, "code_name", json_string(risk_code_str(f->code)));
    json_object_set_new(row, "version", json_integer(answer->version));
    return row;
}

/* Ask for one scope; its fields are appended to rows. False: no answer. none: it has no limits. */
static bool scope_get(desk_t *d, const limit_scope_t *scope, json_t *rows, bool *none)
{
    const limit_change_t ask   = {.change_id  = 1,
                                  .scope_id   = scope->id1,
                                  .scope_id2  = scope->id2,
                                  .scope_type = (uint8_t)scope->type,
                                  .step       = LIMIT_STEP_GET};
    const size_t         had   = json_array_size(rows);
    const int64_t        until = role_mono_ns() + DESK_ANSWER_NS;
    hwal_message_t       m;
    if (hwal_lane_limit(d->lane, &ask, "get") != HWAL_OK) {
        return false;
    }
    while (role_mono_ns() < until && desk_next(d, until - role_mono_ns(), &m)) {
        const audit_t *answer = m.body;
        if (m.type != MSG_AUDIT || answer->kind != AUDIT_VALUE) {
            continue;
        }
        if (answer->field == LIMITS_FIELDS_END) {
            *none = json_array_size(rows) == had;
            return true;
        }
        json_array_append_new(rows, field_row(d, scope, answer));
    }
    return false;
}

/* Without a word: the firm, every account, every venue. */
static int get_default(desk_t *d, json_t *rows)
{
    bool             none;
    account_record_t acc;
    uint64_t         venues = 0;
    limit_scope_t    scope  = {.type = SCOPE_GLOBAL};
    bool             good   = scope_get(d, &scope, rows, &none);
    for (uint32_t id = 1; good && desk_account(d, id, &acc); id++) {
        scope = (limit_scope_t){.type = SCOPE_ACCOUNT, .id1 = id};
        good  = scope_get(d, &scope, rows, &none);
    }
    for (uint32_t id = 1; good && id <= d->a->instrument_max; id++) {
        const attach_instrument_t *ins = attach_instrument(d->a, id);
        if (ins && ins->def.venue_id <= RISK_VENUES_MAX && !(venues >> ins->def.venue_id & 1)) {
            venues |= 1ull << ins->def.venue_id;
            scope = (limit_scope_t){.type = SCOPE_VENUE, .id1 = ins->def.venue_id};
            good  = scope_get(d, &scope, rows, &none);
        }
    }
    return good ? EXIT_OK : desk_ended(d);
}

static void yaml_print(const json_t *rows)
{
    const char *before = "";
    size_t      i;
    json_t     *row;
    puts("limits:");
    json_array_foreach(rows, i, row)
    {
        const char *scope = json_string_value(json_object_get(row, "scope"));
        if (strcmp(scope, before) != 0) {
            printf("%s  - \"%s", *before ? "\"\n" : "", scope);
        }
        printf(" %s=%s", json_string_value(json_object_get(row, "field")),
               json_string_value(json_object_get(row, "value")));
        before = scope;
    }
    puts(*before ? "\"" : "  []");
}

static int sub_get(const limits_cmd_t *k, char **words, int count)
{
    static const column_t columns[] = {{"scope", "scope", COLUMN_TEXT},   {"field", "limit", COLUMN_TEXT},
                                       {"value", "value", COLUMN_NUMBER}, {"used", "used", COLUMN_NUMBER},
                                       {"unit", "unit", COLUMN_TEXT},     {"code", "code", COLUMN_NUMBER},
                                       {"code_name", "name", COLUMN_TEXT}};
    desk_t                d;
    json_t               *rows = json_array();
    int                   rc   = desk_open(&d, "limits", &k->args, k->client);
    if (rc != EXIT_OK) {
        json_decref(rows);
        return rc;
    }
    rc = count == 0 ? get_default(&d, rows) : EXIT_OK;
    for (int i = 0; rc == EXIT_OK && i < count; i++) {
        limit_scope_t scope;
        bool          none = false;
        if (limits_scope(d.a, words[i], strlen(words[i]), &scope) != ERR_OK) {
            rc = fail(EXIT_USAGE);
        } else if (!scope_get(&d, &scope, rows, &none)) {
            rc = desk_ended(&d);
        } else if (none) {
            rc = command_error("limits", EXIT_FINDING, "%s: no limit is set, or there is no such scope", words[i]);
        }
    }
    if (rc == EXIT_OK && k->args.json) {
        json_t *view = view_head(d.a);
        json_object_set(view, "limits", rows);
        table_json(stdout, view);
        json_decref(view);
    } else if (rc == EXIT_OK && k->yaml) {
        yaml_print(rows);
    } else if (rc == EXIT_OK) {
        table_text(stdout, columns, sizeof columns / sizeof columns[0], rows, command_colour(stdout));
    }
    json_decref(rows);
    desk_close(&d);
    return rc;
}

/* ---- changing ------------------------------------------------------------------------------------------------------------ */
/* Why, for a person: what an error means of that step. */
static const char *refusal_text(limit_step_t step, uint16_t field)
{
    const bool ask = step == LIMIT_STEP_ASK;
    switch (field) {
    case RISK_NOT_AUTHORISED:
        return step == LIMIT_STEP_APPROVE ? "; the client has no right to approve"
               : step == LIMIT_STEP_SET   ? "; the client has no right to raise limits, or none to change any"
                                          : "; the client has no right to change limits";
    case ERR_EXISTS: return ask ? "; there is an override of this limit already (`hwal limits history`, revoke)" : "";
    case ERR_NOT_FOUND:
        return ask                      ? "; the scope has no limits of its own that could be raised"
               : step == LIMIT_STEP_SET ? "; there is no such scope"
                                        : "; there is no override of this number, or it is over";
    case ERR_STATE: return step == LIMIT_STEP_APPROVE ? "; it is in force already, or over" : "";
    case ERR_LIMIT: return ask ? "; there are as many overrides as can be" : "";
    case ERR_ARG:
        return ask                          ? "; the value raises nothing, or the time is over"
               : step == LIMIT_STEP_APPROVE ? "; who asked for it may not approve it: another user must"
                                            : "; a value is out of its bounds, or does not go with the others";
    default: return "";
    }
}

/* More than its ring holds goes out as the engine takes it. */
static bool say(desk_t *d, const limit_change_t *step, const char *reason)
{
    const int64_t until = role_mono_ns() + DESK_ANSWER_NS;
    hwal_err_t    err   = hwal_lane_limit(d->lane, step, reason);
    while (err == HWAL_FULL && role_mono_ns() < until) {
        nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
        err = hwal_lane_limit(d->lane, step, reason);
    }
    return err == HWAL_OK;
}

static limit_change_t step_of(uint64_t change_id, limit_step_t step, const limits_value_t *v)
{
    return (limit_change_t){.change_id  = change_id,
                            .value      = v ? v->value : 0,
                            .scope_id   = v ? v->scope.id1 : 0,
                            .scope_id2  = v ? v->scope.id2 : 0,
                            .scope_type = v ? (uint8_t)v->scope.type : (uint8_t)SCOPE_GLOBAL,
                            .step       = (uint8_t)step,
                            .field      = v ? (uint16_t)v->field : 0};
}

static json_t *audit_row(desk_t *d, const audit_t *a)
{
    const limit_scope_t scope = limits_symbol(d->a, a->scope_type, a->scope_id, a->scope_id2);
    const limit_scale_t scale = limits_scale(d->a, &scope);
    char                text[LIMIT_TEXT_MAX];
    json_t             *row = json_object();
    json_object_set_new(row, "change_id", table_u64(a->change_id));
    json_object_set_new(row, "scope", command_text(limit_scope_format(&scope, text)));
    json_object_set_new(row, "field", json_string(risk_field_name(a->field)));
    json_object_set_new(row, "old", json_string(limit_value_format(a->field, a->old_value, scale, text)));
    json_object_set_new(row, "new", json_string(limit_value_format(a->field, a->new_value, scale, text)));
    json_object_set_new(row, "version", json_integer(a->version));
    return row;
}

static int answers_print(const limits_cmd_t *k, const desk_t *d, json_t *rows)
{
    static const column_t columns[] = {{"change_id", "change", COLUMN_NUMBER}, {"scope", "scope", COLUMN_TEXT},
                                       {"field", "limit", COLUMN_TEXT},        {"old", "old", COLUMN_NUMBER},
                                       {"new", "new", COLUMN_NUMBER},          {"version", "version", COLUMN_NUMBER}};
    if (k->args.json) {
        json_t *view = view_head(d->a);
        json_object_set(view, "changes", rows);
        table_json(stdout, view);
        json_decref(view);
    } else if (json_array_size(rows) == 0) {
        puts("nothing was to be changed");
    } else {
        table_text(stdout, columns, sizeof columns / sizeof columns[0], rows, command_colour(stdout));
    }
    return EXIT_OK;
}

/* What the engine says of change_id, until the question that was sent behind it is answered. */
static int answers(const limits_cmd_t *k, desk_t *d, limit_step_t step, uint64_t change_id)
{
    const int64_t        until = role_mono_ns() + DESK_ANSWER_NS;
    const limit_change_t fence = step_of(change_id, LIMIT_STEP_GET, NULL);
    json_t              *rows  = json_array();
    int                  rc    = -1;
    hwal_message_t       m;
    if (!say(d, &fence, "fence")) {
        rc = command_error("limits", EXIT_FINDING, "%s", hwal_error());
    }
    while (rc == -1 && role_mono_ns() < until && desk_next(d, until - role_mono_ns(), &m)) {
        const audit_t *a = m.body;
        if (m.type != MSG_AUDIT || a->change_id != change_id) {
            continue;
        }
        if (a->kind == AUDIT_REFUSED) {
            rc = command_error("limits", EXIT_FINDING, "refused: %s: nothing was changed%s", audit_refusal(a),
                               refusal_text(step, a->field));
        } else if (a->kind == AUDIT_VALUE && a->field == LIMITS_FIELDS_END) {
            rc = answers_print(k, d, rows);
        } else if (a->kind != AUDIT_VALUE) {
            json_array_append_new(rows, audit_row(d, a));
        }
    }
    json_decref(rows);
    return rc == -1 ? desk_ended(d) : rc;
}

static bool reasoned(const limits_cmd_t *k)
{
    return k->reason && *k->reason && strlen(k->reason) <= REASON_MAX;
}

static int no_reason(void)
{
    return command_error("limits", EXIT_USAGE, "--reason TEXT: 1 to %d bytes are wanted", REASON_MAX);
}

static bool change(const limits_cmd_t *k, desk_t *d, uint64_t id, const limits_list_t *list)
{
    const limit_change_t begin = step_of(id, LIMIT_STEP_BEGIN, NULL), commit = step_of(id, LIMIT_STEP_COMMIT, NULL);
    bool                 good = say(d, &begin, k->reason);
    for (uint32_t i = 0; good && i < list->count; i++) {
        const limit_change_t set = step_of(id, LIMIT_STEP_SET, &list->values[i]);
        good                     = say(d, &set, k->reason);
    }
    return good && say(d, &commit, k->reason);
}

static int sub_set(const limits_cmd_t *k, char **words, int count)
{
    static limits_list_t list;
    desk_t               d;
    if (!reasoned(k)) {
        return no_reason();
    }
    if ((k->file != NULL) == (count > 0)) {
        return command_error("limits", EXIT_USAGE, "set: SCOPE FIELD=VALUE ..., or --file FILE");
    }
    int rc = desk_open(&d, "limits", &k->args, k->client);
    if (rc != EXIT_OK) {
        return rc;
    }
    const uint64_t id  = (uint64_t)role_utc_ns();
    const err_t    err = k->file ? limits_file(d.a, k->file, &list) : limits_words(d.a, words, count, &list);
    if (err) {
        rc = fail(EXIT_USAGE);
    } else {
        rc = change(k, &d, id, &list) ? answers(k, &d, LIMIT_STEP_SET, id)
                                      : command_error("limits", EXIT_FINDING, "%s", hwal_error());
    }
    desk_close(&d);
    return rc;
}

static int sub_ask(const limits_cmd_t *k, char **words, int count)
{
    static limits_list_t list;
    desk_t               d;
    int64_t              until = 0;
    if (!reasoned(k)) {
        return no_reason();
    }
    if (!k->until || order_spec_time(k->until, role_utc_ns(), &until) != ERR_OK) {
        return k->until ? fail(EXIT_USAGE) : command_error("limits", EXIT_USAGE, "ask: --until TIME is wanted");
    }
    int rc = desk_open(&d, "limits", &k->args, k->client);
    if (rc != EXIT_OK) {
        return rc;
    }
    const uint64_t id = (uint64_t)role_utc_ns();
    if (limits_words(d.a, words, count, &list) != ERR_OK) {
        rc = fail(EXIT_USAGE);
    } else if (list.count != 1) {
        rc = command_error("limits", EXIT_USAGE, "ask: one SCOPE and one FIELD=VALUE");
    } else {
        limit_change_t ask = step_of(id, LIMIT_STEP_ASK, &list.values[0]);
        ask.until_utc_ns   = until;
        rc                 = say(&d, &ask, k->reason) ? answers(k, &d, LIMIT_STEP_ASK, id)
                                                      : command_error("limits", EXIT_FINDING, "%s", hwal_error());
        if (rc == EXIT_OK && !k->args.json) {
            printf("asked for; another user now says: hwal limits approve %" PRIu64 " --reason TEXT\n", id);
        }
    }
    desk_close(&d);
    return rc;
}

static int sub_decide(const limits_cmd_t *k, limit_step_t step, char **words, int count)
{
    desk_t   d;
    uint64_t id = 0;
    if (!reasoned(k)) {
        return no_reason();
    }
    if (count != 1 || !attach_id(words[0], &id)) {
        return command_error("limits", EXIT_USAGE, "%s: the number of one override (`hwal limits history`)",
                             step == LIMIT_STEP_APPROVE ? "approve" : "revoke");
    }
    int rc = desk_open(&d, "limits", &k->args, k->client);
    if (rc != EXIT_OK) {
        return rc;
    }
    const limit_change_t said = step_of(id, step, NULL);
    rc                        = say(&d, &said, k->reason) ? answers(k, &d, step, id)
                                                          : command_error("limits", EXIT_FINDING, "%s", hwal_error());
    desk_close(&d);
    return rc;
}

static int dispatch(const limits_cmd_t *k, const char *sub, char **words, int count)
{
    if (strcmp(sub, "get") == 0) {
        return sub_get(k, words, count);
    }
    if (strcmp(sub, "set") == 0) {
        return sub_set(k, words, count);
    }
    if (strcmp(sub, "ask") == 0) {
        return sub_ask(k, words, count);
    }
    if (strcmp(sub, "approve") == 0) {
        return sub_decide(k, LIMIT_STEP_APPROVE, words, count);
    }
    if (strcmp(sub, "revoke") == 0) {
        return sub_decide(k, LIMIT_STEP_REVOKE, words, count);
    }
    if (strcmp(sub, "history") == 0) {
        return limits_history(k, words, count);
    }
    if (strcmp(sub, "diff") == 0) {
        return limits_diff(k, words, count);
    }
    return command_error("limits", EXIT_USAGE, "%s: get, set, diff, history, ask, approve or revoke (--help)", sub);
}

int command_limits(int argc, char **argv)
{
    static const struct option options[] = {ATTACH_OPTIONS,
                                            {"client", required_argument, NULL, 'c'},
                                            {"reason", required_argument, NULL, 'r'},
                                            {"until", required_argument, NULL, 'u'},
                                            {"file", required_argument, NULL, 'f'},
                                            {"yaml", no_argument, NULL, 'y'},
                                            {"dir", required_argument, NULL, 'd'},
                                            {"config", required_argument, NULL, 'g'},
                                            {"from", required_argument, NULL, 'v'},
                                            {"to", required_argument, NULL, 't'},
                                            {0}};
    limits_cmd_t               k         = {.client = CONFIG_OPERATOR, .to = UINT32_MAX};
    attach_args(&k.args);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        bool good = true;
        switch (c) {
        case 'h': return usage(stdout);
        case 'c': k.client = optarg; break;
        case 'r': k.reason = optarg; break;
        case 'u': k.until = optarg; break;
        case 'f': k.file = optarg; break;
        case 'y': k.yaml = true; break;
        case 'd': k.dir = optarg; break;
        case 'g': k.config = optarg; break;
        case 'v': good = attach_number(optarg, 1, UINT32_MAX, &k.from); break;
        case 't': good = attach_number(optarg, 1, UINT32_MAX, &k.to); break;
        default: good = attach_option(&k.args, c);
        }
        if (!good) {
            return command_unknown("limits", argv);
        }
    }
    return optind == argc ? usage(stderr) : dispatch(&k, argv[optind], argv + optind + 1, argc - optind - 1);
}
