#include "tools/limit_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/types/decimal.h"

static const struct {
    const char *word;
    scope_t     type, pair; /* pair: with /SYMBOL behind it */
} scopes[] = {
    {"global", SCOPE_GLOBAL, SCOPE_NONE},
    {"tenant", SCOPE_TENANT, SCOPE_TENANT_INSTRUMENT},
    {"account", SCOPE_ACCOUNT, SCOPE_ACCOUNT_INSTRUMENT},
    {"strategy", SCOPE_STRATEGY, SCOPE_STRATEGY_INSTRUMENT},
    {"instrument", SCOPE_INSTRUMENT, SCOPE_NONE},
    {"venue", SCOPE_VENUE, SCOPE_NONE},
};
#define SCOPES (sizeof scopes / sizeof scopes[0])

bool limit_scope_pair(scope_t type)
{
    return type == SCOPE_ACCOUNT_INSTRUMENT || type == SCOPE_STRATEGY_INSTRUMENT || type == SCOPE_TENANT_INSTRUMENT;
}

/* ---- scopes ---------------------------------------------------------------------------------------------------------- */
static bool id_parse(const char *text, size_t len, uint32_t *out)
{
    int64_t value = 0;
    if (len == 0 || strspn(text, "0123456789") < len || decimal_parse(text, len, 0, &value) != ERR_OK || value < 1 ||
        value > RISK_IDS_MAX) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

static bool symbol_take(const char *text, size_t len, limit_scope_t *out)
{
    if (len == 0 || len > SYMBOL_MAX) {
        return false;
    }
    memcpy(out->symbol, text, len);
    out->symbol[len] = '\0';
    return true;
}

static err_t scope_fail(const char *text, size_t len)
{
    return err_set(ERR_ARG,
                   "\"%.*s\" is no scope: global, tenant:ID, account:ID, strategy:ID, venue:ID, instrument:SYMBOL, or "
                   "one of tenant, account, strategy with /SYMBOL behind its ID",
                   (int)(len < 80 ? len : 80), text);
}

err_t limit_scope_parse(const char *text, size_t len, limit_scope_t *out)
{
    const char  *colon = memchr(text, ':', len);
    const size_t word  = colon ? (size_t)(colon - text) : len;
    *out               = (limit_scope_t){0};
    for (size_t i = 0; i < SCOPES; i++) {
        if (strlen(scopes[i].word) != word || memcmp(text, scopes[i].word, word) != 0) {
            continue;
        }
        const char  *id     = colon ? colon + 1 : text + len;
        const size_t id_len = (size_t)(text + len - id);
        out->type           = scopes[i].type;
        if (scopes[i].type == SCOPE_GLOBAL) {
            return colon ? scope_fail(text, len) : ERR_OK;
        }
        if (scopes[i].type == SCOPE_INSTRUMENT) {
            return symbol_take(id, id_len, out) ? ERR_OK : scope_fail(text, len);
        }
        const char  *slash = memchr(id, '/', id_len);
        const size_t first = slash ? (size_t)(slash - id) : id_len;
        if (!id_parse(id, first, &out->id1) ||
            (slash && (scopes[i].pair == SCOPE_NONE || !symbol_take(slash + 1, id_len - first - 1, out)))) {
            break;
        }
        out->type = slash ? scopes[i].pair : scopes[i].type;
        return ERR_OK;
    }
    return scope_fail(text, len);
}

char *limit_scope_format(const limit_scope_t *s, char out[LIMIT_TEXT_MAX])
{
    snprintf(out, LIMIT_TEXT_MAX, "scope %d:%u", (int)s->type, s->id1);
    for (size_t i = 0; i < SCOPES; i++) {
        if (s->type == SCOPE_GLOBAL && scopes[i].type == SCOPE_GLOBAL) {
            snprintf(out, LIMIT_TEXT_MAX, "global");
        } else if (s->type == scopes[i].type && s->type == SCOPE_INSTRUMENT && *s->symbol) {
            snprintf(out, LIMIT_TEXT_MAX, "instrument:%s", s->symbol);
        } else if (s->type == scopes[i].type) {
            snprintf(out, LIMIT_TEXT_MAX, "%s:%u", scopes[i].word, s->id1);
        } else if (scopes[i].pair != SCOPE_NONE && s->type == scopes[i].pair && *s->symbol) {
            snprintf(out, LIMIT_TEXT_MAX, "%s:%u/%s", scopes[i].word, s->id1, s->symbol);
        } else if (scopes[i].pair != SCOPE_NONE && s->type == scopes[i].pair) {
            snprintf(out, LIMIT_TEXT_MAX, "%s:%u/%u", scopes[i].word, s->id1, s->id2);
        }
    }
    return out;
}

/* ---- fields and values ----------------------------------------------------------------------------------------------- */
err_t limit_field_parse(scope_t scope, const char *text, size_t len, uint32_t *field, const char **value)
{
    const char *equals = memchr(text, '=', len);
    char        name[LIMIT_TEXT_MAX];
    if (!equals || (size_t)(equals - text) >= sizeof name) {
        return err_set(ERR_ARG, "\"%.*s\" is no FIELD=VALUE", (int)(len < 80 ? len : 80), text);
    }
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    *field              = risk_field_find(name);
    *value              = equals + 1;
    if (*field == RISK_FIELD_COUNT) {
        return err_set(ERR_ARG, "%s: no such limit (`hwal limits get` lists them)", name);
    }
    if (risk_field(*field)->scopes >> scope & 1) {
        return ERR_OK;
    }
    char where[128] = "";
    for (size_t i = 0, at = 0; i < SCOPES; i++) {
        const uint32_t set = risk_field(*field)->scopes;
        if (set >> scopes[i].type & 1) {
            at += (size_t)snprintf(where + at, sizeof where - at, "%s%s", at ? ", " : "", scopes[i].word);
        }
        if (scopes[i].pair != SCOPE_NONE && set >> scopes[i].pair & 1) {
            at += (size_t)snprintf(where + at, sizeof where - at, "%s%s:ID/SYMBOL", at ? ", " : "", scopes[i].word);
        }
    }
    return err_set(ERR_ARG, "%s: a limit of %s, and not of this scope", name, where);
}

/* Text with a unit behind it in nanoseconds. */
bool limit_duration(const char *text, size_t len, int64_t *out)
{
    static const struct {
        const char *unit;
        unsigned    exp; /* nanoseconds are 10^-exp of it, times */
        int64_t     times;
    } units[]     = {{"ns", 0, 1}, {"us", 3, 1},      {"ms", 6, 1},        {"s", 9, 1},
                     {"m", 9, 60}, {"h", 9, 60 * 60}, {"d", 9, 24 * 3600}, {"", 0, 1}};
    size_t number = len;
    while (number > 0 && text[number - 1] >= 'a' && text[number - 1] <= 'z') {
        number--;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        int64_t value;
        if (strlen(units[i].unit) == len - number && memcmp(text + number, units[i].unit, len - number) == 0) {
            return decimal_parse(text, number, units[i].exp, &value) == ERR_OK &&
                   fit_i64(mul_i64(value, units[i].times), out);
        }
    }
    return false;
}

static bool value_parse(const risk_field_t *f, const char *text, size_t len, limit_scale_t scale, int64_t *out)
{
    if (strcmp(f->unit, "ns") == 0) {
        return limit_duration(text, len, out);
    }
    if (strcmp(f->unit, "bp") == 0 && len > 0 && text[len - 1] == '%') {
        return decimal_parse(text, len - 1, 2, out) == ERR_OK;
    }
    const int32_t exp = strcmp(f->unit, "qty") == 0     ? scale.qty_exp
                        : strcmp(f->unit, "money") == 0 ? scale.money_exp
                                                        : 0;
    return exp >= 0 && decimal_parse(text, len, (unsigned)exp, out) == ERR_OK;
}

static const char *unit_help(const risk_field_t *f)
{
    return strcmp(f->unit, "ns") == 0      ? "a time (500ms, 60s)"
           : strcmp(f->unit, "bp") == 0    ? "basis points (or 3%)"
           : strcmp(f->unit, "qty") == 0   ? "a quantity in the instrument's scale"
           : strcmp(f->unit, "money") == 0 ? "an amount in the scale of its money"
                                           : "a whole number";
}

/* Has the table an end of it that tests nothing, and is it no mere figure? */
static bool can_be_off(const risk_field_t *f)
{
    return f->max == RISK_OFF && f->min == 0 && f->fallback != 0;
}

err_t limit_value_parse(uint32_t field, const char *text, size_t len, limit_scale_t scale, int64_t *out)
{
    const risk_field_t *f = risk_field(field);
    char                low[LIMIT_TEXT_MAX], high[LIMIT_TEXT_MAX];
    if (len == 3 && memcmp(text, "off", 3) == 0 && can_be_off(f)) {
        *out = RISK_OFF;
        return ERR_OK;
    }
    if (!value_parse(f, text, len, scale, out)) {
        return err_set(ERR_ARG, "%s: \"%.*s\" is not %s", f->name, (int)(len < 80 ? len : 80), text, unit_help(f));
    }
    return *out >= f->min && *out <= f->max
               ? ERR_OK
               : err_set(ERR_ARG, "%s is %.*s, allowed are %s to %s", f->name, (int)(len < 80 ? len : 80), text,
                         limit_value_format(field, f->min, scale, low), limit_value_format(field, f->max, scale, high));
}

/* Whole units only: 60s, 500ms; what is none is in nanoseconds. */
static void duration_format(int64_t ns, char out[LIMIT_TEXT_MAX])
{
    static const struct {
        int64_t     ns;
        const char *unit;
    } units[] = {{86400 * NS_PER_S, "d"},
                 {3600 * NS_PER_S, "h"},
                 {60 * NS_PER_S, "m"},
                 {NS_PER_S, "s"},
                 {NS_PER_MS, "ms"},
                 {NS_PER_US, "us"},
                 {1, "ns"}};
    size_t i  = 0;
    while (ns % units[i].ns != 0 || (ns < 2 * units[i].ns && i < 3)) { /* 90m and 60s, not 1.5h and 1m */
        if (units[i].ns == 1) {
            break;
        }
        i++;
    }
    snprintf(out, LIMIT_TEXT_MAX, "%" PRId64 "%s", ns / units[i].ns, ns == 0 ? "s" : units[i].unit);
}

char *limit_value_format(uint32_t field, int64_t value, limit_scale_t scale, char out[LIMIT_TEXT_MAX])
{
    const risk_field_t *f     = risk_field(field);
    const bool          qty   = strcmp(f->unit, "qty") == 0;
    const int32_t       exp   = qty ? scale.qty_exp : scale.money_exp;
    const bool          money = strcmp(f->unit, "money") == 0;
    if (value == RISK_OFF && can_be_off(f)) {
        snprintf(out, LIMIT_TEXT_MAX, "off");
    } else if (strcmp(f->unit, "ns") == 0) {
        duration_format(value, out);
    } else if ((qty || money) && exp >= 0) {
        _Static_assert(LIMIT_TEXT_MAX >= DECIMAL_TEXT_MAX, "any decimal");
        decimal_format(value, (unsigned)exp, out);
    } else {
        snprintf(out, LIMIT_TEXT_MAX, "%" PRId64 "%s", value, qty || money ? "?" : "");
    }
    return out;
}

/* ---- lines ----------------------------------------------------------------------------------------------------------- */
err_t limit_line_scope(const char *line, limit_scope_t *scope, const char **rest)
{
    line += strspn(line, " \t");
    const size_t len = strcspn(line, " \t");
    *rest            = line + len;
    return limit_scope_parse(line, len, scope);
}

err_t limit_line_next(const limit_scope_t *scope, const char **rest, uint32_t *field, const char **value, size_t *len)
{
    const char *word = *rest + strspn(*rest, " \t");
    if (*word == '\0') {
        return ERR_EMPTY;
    }
    const size_t n  = strcspn(word, " \t");
    *rest           = word + n;
    const err_t err = limit_field_parse(scope->type, word, n, field, value);
    *len            = err ? 0 : (size_t)(word + n - *value);
    return err;
}

_Static_assert(RISK_FIELD_COUNT <= 64, "a bit for each field");

static err_t twice(const limit_scope_t *scope, uint32_t field)
{
    char text[LIMIT_TEXT_MAX];
    return err_set(ERR_EXISTS, "%s %s is given twice", limit_scope_format(scope, text), risk_field_name(field));
}

err_t limit_line_check(const char *line)
{
    limit_scope_t scope;
    const char   *rest, *value;
    uint32_t      field;
    size_t        len;
    int64_t       number;
    uint64_t      seen = 0; /* bit: a field that the line has */
    err_t         err  = limit_line_scope(line, &scope, &rest);
    while (!err && (err = limit_line_next(&scope, &rest, &field, &value, &len)) == ERR_OK) {
        const char   *point  = memchr(value, '.', len);
        const int32_t places = point && value + len - point <= 13 ? (int32_t)(value + len - point - 1)
                                                                  : 0; /* the scale comes with the instrument */
        err                  = limit_value_parse(field, value, len, (limit_scale_t){places, places}, &number);
        err                  = !err && seen >> field & 1 ? twice(&scope, field) : err;
        seen |= UINT64_C(1) << field;
    }
    if (err == ERR_EMPTY && seen == 0) {
        return err_set(ERR_ARG, "\"%s\": no FIELD=VALUE behind the scope", line);
    }
    return err == ERR_EMPTY ? ERR_OK : err;
}

err_t limit_lines_apart(const char *line, const char *other)
{
    limit_scope_t a, b;
    const char   *rest, *others, *value;
    uint32_t      field, same;
    size_t        len;
    err_t         err = limit_line_scope(line, &a, &rest);
    err               = err ? err : limit_line_scope(other, &b, &others);
    if (err || a.type != b.type || a.id1 != b.id1 || a.id2 != b.id2 || strcmp(a.symbol, b.symbol) != 0) {
        return err;
    }
    while (!err && (err = limit_line_next(&a, &rest, &field, &value, &len)) == ERR_OK) {
        const char *at = others;
        while (!err && (err = limit_line_next(&b, &at, &same, &value, &len)) == ERR_OK) {
            err = same == field ? twice(&a, field) : ERR_OK;
        }
        err = err == ERR_EMPTY ? ERR_OK : err;
    }
    return err == ERR_EMPTY ? ERR_OK : err;
}
