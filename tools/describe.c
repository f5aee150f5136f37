#include "tools/describe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/risk/risk_code.h"
#include "core/types/decimal.h"
#include "hwal_fbs.h"
#include "ipc/fbs_json.h"
#include "tools/command.h"
#include "tools/table.h"

typedef enum scale { SCALE_NONE = 0, SCALE_PX, SCALE_QTY, SCALE_MONEY, SCALE_COUNT } scale_t;

typedef struct scales { /* digits behind the point, -1 = not known, by scale_t */
    int exp[SCALE_COUNT];
} scales_t;

/* The one list of which fields are decimals. A name means the same in every message (FIX). */
static const struct {
    const char *name;
    scale_t     scale;
} decimals[] = {
    {"px", SCALE_PX},          {"last_px", SCALE_PX},       {"bid_px", SCALE_PX},        {"ask_px", SCALE_PX},
    {"mark_px", SCALE_PX},     {"avg_px", SCALE_PX},        {"open_px", SCALE_PX},       {"high_px", SCALE_PX},
    {"low_px", SCALE_PX},      {"vwap_px", SCALE_PX},       {"prev_close_px", SCALE_PX}, {"band_lower", SCALE_PX},
    {"band_upper", SCALE_PX},  {"qty", SCALE_QTY},          {"last_qty", SCALE_QTY},     {"cum_qty", SCALE_QTY},
    {"leaves_qty", SCALE_QTY}, {"order_qty", SCALE_QTY},    {"bid_qty", SCALE_QTY},      {"ask_qty", SCALE_QTY},
    {"lot", SCALE_QTY},        {"min_qty", SCALE_QTY},      {"volume", SCALE_QTY},       {"prev_close_qty", SCALE_QTY},
    {"cost", SCALE_MONEY},     {"realised", SCALE_MONEY},   {"unrealised", SCALE_MONEY}, {"fee", SCALE_MONEY},
    {"fees", SCALE_MONEY},     {"funding", SCALE_MONEY},    {"initial", SCALE_MONEY},    {"cash", SCALE_MONEY},
    {"equity", SCALE_MONEY},   {"pnl_day", SCALE_MONEY},    {"drawdown", SCALE_MONEY},   {"gross", SCALE_MONEY},
    {"net", SCALE_MONEY},      {"open_value", SCALE_MONEY}, {"amount", SCALE_MONEY},     {"min_notional", SCALE_MONEY},
    {"stop_px", SCALE_PX},     {"trail", SCALE_PX},         {"display_qty", SCALE_QTY},  {"wanted_qty", SCALE_QTY},
    {"hold", SCALE_MONEY},     {"available", SCALE_MONEY},
};

/* ---- what a message is made of ------------------------------------------------------------------------------------- */
static const fbs_object_t *table_of(msg_type_t type)
{
    return fbs_union_object(&hwal_message_names, (uint8_t)type);
}

static const fbs_object_t *struct_of(msg_type_t type)
{
    const fbs_object_t *table = type == MSG_NONE ? NULL : table_of(type);
    return table ? table->fields[0].object : NULL;
}

static bool field_of(const fbs_object_t *object, const void *body, const char *name, int64_t *value)
{
    for (uint32_t i = 0; i < object->field_count; i++) {
        if (strcmp(object->fields[i].name, name) == 0) {
            *value = fbs_load(object->fields[i].base, (const uint8_t *)body + object->fields[i].at);
            return true;
        }
    }
    return false;
}

static scales_t scales_of(const attach_t *a, const fbs_object_t *object, const msg_t *msg)
{
    scales_t                   s  = {.exp = {-1, -1, -1, -1}};
    int64_t                    id = 0, exp = 0;
    const attach_instrument_t *ins = NULL;
    if (msg->type == MSG_INSTRUMENT_DEF) {
        const instrument_def_t *def = msg->body;
        return (scales_t){.exp = {-1, def->px_exp, def->qty_exp, def->money_exp}};
    }
    if (field_of(object, msg->body, "instrument_id", &id) && (ins = attach_instrument(a, (uint32_t)id)) != NULL) {
        s = (scales_t){.exp = {-1, ins->def.px_exp, ins->def.qty_exp, ins->def.money_exp}};
    }
    if (field_of(object, msg->body, "money_exp", &exp)) {
        s.exp[SCALE_MONEY] = (int)exp;
    }
    return s;
}

/* scale_of: how a field is scaled; observed and limit of a verdict by the unit of its code. */
static scale_t scale_of(const msg_t *msg, const char *name)
{
    if (msg->type == MSG_VERDICT && (strcmp(name, "observed") == 0 || strcmp(name, "limit") == 0)) {
        const char *unit = risk_code_unit(((const verdict_t *)msg->body)->code);
        return strcmp(unit, "px") == 0      ? SCALE_PX
               : strcmp(unit, "qty") == 0   ? SCALE_QTY
               : strcmp(unit, "money") == 0 ? SCALE_MONEY
                                            : SCALE_NONE;
    }
    for (size_t i = 0; i < sizeof decimals / sizeof decimals[0]; i++) {
        if (strcmp(decimals[i].name, name) == 0) {
            return decimals[i].scale;
        }
    }
    return SCALE_NONE;
}

json_t *describe_decimal(int64_t value, int exp)
{
    char text[DECIMAL_TEXT_MAX];
    if (exp < 0 || exp > DECIMAL_EXP_MAX) {
        return json_null();
    }
    decimal_format(value, (unsigned)exp, text);
    return json_string(text);
}

static json_t *decimal_of(const msg_t *msg, const scales_t *s, scale_t scale, const char *name, int64_t value)
{
    const bool unsaid = msg->type == MSG_EXEC_REPORT && value == -1 &&
                        (strcmp(name, "cum_qty") == 0 || strcmp(name, "leaves_qty") == 0);
    return unsaid ? json_null() : describe_decimal(value, s->exp[scale]);
}

static json_t *names_of(const fbs_enum_t *names, int64_t value)
{
    char   text[128] = "";
    size_t n         = 0;
    for (uint32_t i = 0; i < names->count; i++) {
        if (!names->bit_flags && names->vals[i].value == value) {
            return json_string(names->vals[i].name);
        }
        if (names->bit_flags && (value & names->vals[i].value) != 0 && n < sizeof text) {
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? "|" : "", names->vals[i].name);
        }
    }
    return names->bit_flags ? json_string(text) : json_integer(value);
}

static void put_symbol(json_t *row, const attach_t *a, const fbs_object_t *object, const msg_t *msg)
{
    int64_t                    id  = 0;
    const attach_instrument_t *ins = NULL;
    if (msg->type == MSG_INSTRUMENT_DEF) {
        json_object_set_new(row, "symbol", command_text(msg->text));
    } else if (field_of(object, msg->body, "instrument_id", &id) && id != 0) {
        ins = attach_instrument(a, (uint32_t)id);
        json_object_set_new(row, "symbol", ins ? command_text(ins->symbol) : json_null());
    }
}

/* value_of: one field as JSON. */
static json_t *value_of(const msg_t *msg, const scales_t *s, const fbs_field_t *field)
{
    const int64_t value = fbs_load(field->base, (const uint8_t *)msg->body + field->at);
    const scale_t scale = scale_of(msg, field->name);
    char          ccy[9];
    if (scale != SCALE_NONE) {
        return decimal_of(msg, s, scale, field->name, value);
    }
    if (strcmp(field->name, "ccy") == 0 || strcmp(field->name, "settle_ccy") == 0) {
        return command_text(ccy_text((uint64_t)value, ccy));
    }
    return field->names ? names_of(field->names, value) : json_integer(value);
}

static bool is_reserved(const char *name)
{
    return strncmp(name, "reserved", 8) == 0;
}

void describe_fields(json_t *row, const attach_t *a, const msg_t *msg)
{
    const fbs_object_t *object = struct_of(msg->type);
    if (!object) {
        return;
    }
    const scales_t s = scales_of(a, object, msg);
    put_symbol(row, a, object, msg);
    for (uint32_t i = 0; i < object->field_count; i++) {
        const fbs_field_t *field = &object->fields[i];
        if (!is_reserved(field->name)) {
            json_object_set_new(row, field->name, value_of(msg, &s, field));
        }
    }
    if (msg->type == MSG_VERDICT) {
        json_object_set_new(row, "code_name", json_string(risk_code_str(((const verdict_t *)msg->body)->code)));
    }
    if (msg->type == MSG_ACCOUNT) {
        const uint16_t code = ((const account_record_t *)msg->body)->state_code;
        json_object_set_new(row, "state", json_string(code == 0 ? "OK" : risk_code_str(code)));
    }
    if (msg->type == MSG_LOG) {
        json_object_set_new(row, "text", command_text(msg->text));
    }
    if (msg->type == MSG_BALANCE) {
        const balance_t *b = msg->body;
        json_object_set_new(row, "fx_rate", b->fx_rate ? describe_decimal(b->fx_rate, b->fx_exp) : json_null());
    }
}

void describe_decimals(json_t *row, const attach_t *a, const msg_t *msg)
{
    const fbs_object_t *object = struct_of(msg->type);
    if (!object) {
        return;
    }
    const scales_t s = scales_of(a, object, msg);
    put_symbol(row, a, object, msg);
    for (uint32_t i = 0; i < object->field_count; i++) {
        if (scale_of(msg, object->fields[i].name) != SCALE_NONE) {
            json_object_set_new(row, object->fields[i].name, value_of(msg, &s, &object->fields[i]));
        }
    }
}

char *describe_raw(const attach_message_t *m)
{
    const fbs_object_t *table = table_of(m->msg.type);
    size_t              len   = 0;
    char               *text  = NULL;
    if (!table || fbs_json_out(table, m->bytes, NULL, 0, &len) != ERR_FULL || (text = malloc(len)) == NULL) {
        return NULL;
    }
    if (fbs_json_out(table, m->bytes, text, len, &len) != ERR_OK) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- as a line ------------------------------------------------------------------------------------------------------ */
msg_type_t describe_type(const char *name)
{
    for (int i = MSG_NONE + 1; i < MSG_TYPE_COUNT; i++) {
        if (strcasecmp(name, msg_type_str((msg_type_t)i)) == 0) {
            return (msg_type_t)i;
        }
    }
    return MSG_NONE;
}

void describe_time(int64_t utc_ns, char out[40])
{
    const time_t s = (time_t)(utc_ns / NS_PER_S);
    struct tm    tm;
    char         day[24];
    gmtime_r(&s, &tm);
    strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(out, 40, "%s.%06" PRId64, day, (int64_t)(utc_ns % NS_PER_S / 1000));
}

static void put_time(FILE *to, const fbs_object_t *object, const msg_t *msg)
{
    static const char *const names[] = {"ts_recv_ns", "engine_utc_ns", "utc_ns", "ts_event_ns"};
    int64_t                  utc     = 0;
    char                     text[40];
    for (size_t i = 0; i < sizeof names / sizeof names[0] && utc <= 0; i++) {
        field_of(object, msg->body, names[i], &utc);
    }
    if (utc > 0) {
        describe_time(utc, text);
    }
    fprintf(to, "%-15s ", utc > 0 ? text + 11 : "-"); /* without the day */
}

static bool in_line(const fbs_field_t *field, int64_t value)
{
    static const char *const quiet[] = {"instrument_id", "corr_hi",     "corr_lo", "exec_id_hi", "exec_id_lo",
                                        "order_id_hi",   "order_id_lo", "mono_ns", "money_exp",  "created_mono_ns"};
    for (size_t i = 0; i < sizeof quiet / sizeof quiet[0]; i++) {
        if (strcmp(field->name, quiet[i]) == 0) {
            return false;
        }
    }
    const char *ns = strstr(field->name, "utc_ns");
    return value != 0 && !is_reserved(field->name) && strncmp(field->name, "ts_", 3) != 0 && !ns;
}

static void put_log(FILE *to, const msg_t *msg)
{
    static const char *const levels[] = {"-", "info", "WARN", "ERROR"};
    const log_record_t      *log      = msg->body;
    fprintf(to, "%-5s ", levels[log->level <= LOG_ERROR ? log->level : 0]);
    for (const char *c = msg->text; *c; c++) { /* a text of others: no control characters to a terminal */
        fputc((unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c, to);
    }
    if (log->count > 1) {
        fprintf(to, " (%" PRIu32 " times)", log->count);
    }
}

void describe_line(FILE *to, const attach_t *a, const msg_t *msg)
{
    const fbs_object_t *object = struct_of(msg->type);
    char                text[256];
    if (!object) {
        fprintf(to, "%s", msg_type_str(msg->type));
        return;
    }
    put_time(to, object, msg);
    if (msg->type == MSG_LOG) {
        put_log(to, msg);
        return;
    }
    json_t *row = json_object();
    describe_fields(row, a, msg);
    table_cell("symbol", json_object_get(row, "symbol"), text, sizeof text);
    fprintf(to, "%-14s %-10s", msg_type_str(msg->type), text);
    for (uint32_t i = 0; i < object->field_count; i++) {
        const fbs_field_t *field = &object->fields[i];
        const json_t      *value = json_object_get(row, field->name);
        if (in_line(field, fbs_load(field->base, (const uint8_t *)msg->body + field->at)) && !json_is_null(value)) {
            table_cell(field->name, value, text, sizeof text);
            fprintf(to, " %s=%s", field->name, text);
        }
    }
    if (msg->type == MSG_VERDICT) {
        fprintf(to, " %s", json_string_value(json_object_get(row, "code_name")));
    }
    json_decref(row);
}
