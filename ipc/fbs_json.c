#include "ipc/fbs_json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define NAME_MAX_BYTES 64u
#define SKIP_DEPTH_MAX 32u

/* utf8_bytes: length of the well-formed UTF-8 sequence at p (RFC 3629: no surrogates, no overlong form), 0 = none. */
static size_t utf8_bytes(const uint8_t *p, size_t room)
{
    const uint32_t lead = p[0];
    const size_t   n    = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (n > room) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((lead == 0xe0 && p[1] < 0xa0) || (lead == 0xed && p[1] > 0x9f) || (lead == 0xf0 && p[1] < 0x90) ||
        (lead == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return n;
}

/* ---- out --------------------------------------------------------------------------------------------------------- */
typedef struct out {
    char  *text;
    size_t cap;
    size_t len; /* what is needed, also beyond cap */
} out_t;

static void put_bytes(out_t *o, const char *bytes, size_t len)
{
    if (o->len < o->cap) {
        const size_t room = o->cap - o->len;
        memcpy(o->text + o->len, bytes, len < room ? len : room);
    }
    o->len += len;
}

static void put_text(out_t *o, const char *text)
{
    put_bytes(o, text, strlen(text));
}

static void put_name(out_t *o, const char *name, bool *first)
{
    put_text(o, *first ? "\"" : ",\"");
    put_text(o, name);
    put_text(o, "\":");
    *first = false;
}

static err_t out_string(out_t *o, const fbs_field_t *field, const char *text, uint32_t len)
{
    put_text(o, "\"");
    for (uint32_t i = 0; i < len;) {
        const uint8_t byte = (uint8_t)text[i];
        const size_t  n    = utf8_bytes((const uint8_t *)text + i, len - i);
        if (n == 0) {
            return err_set(ERR_PARSE, "JSON: %s: byte 0x%02x at %u is not UTF-8", field->name, byte, i);
        }
        if (byte == '"' || byte == '\\') {
            put_text(o, "\\");
        }
        if (byte < 0x20) {
            char escape[8];
            snprintf(escape, sizeof escape, "\\u%04x", byte);
            put_text(o, escape);
        } else {
            put_bytes(o, text + i, n);
        }
        i += (uint32_t)n;
    }
    put_text(o, "\"");
    return ERR_OK;
}

/* out_flags: the names of all set bits when each of them has one. */
static bool out_flags(out_t *o, const fbs_enum_t *names, int64_t value)
{
    uint64_t left = (uint64_t)value;
    for (uint32_t i = 0; i < names->count; i++) {
        left &= ~(uint64_t)names->vals[i].value;
    }
    if (left != 0 || value == 0) {
        return false;
    }
    const char *before = "\"";
    for (uint32_t i = 0; i < names->count; i++) {
        if ((value & names->vals[i].value) != 0) {
            put_text(o, before);
            put_text(o, names->vals[i].name);
            before = " ";
        }
    }
    put_text(o, "\"");
    return true;
}

static void out_scalar(out_t *o, uint8_t base, const fbs_enum_t *names, int64_t value)
{
    char number[24];
    for (uint32_t i = 0; names != NULL && i < names->count; i++) {
        if (names->vals[i].value == value) {
            put_text(o, "\"");
            put_text(o, names->vals[i].name);
            put_text(o, "\"");
            return;
        }
    }
    if (names != NULL && names->bit_flags && out_flags(o, names, value)) {
        return;
    }
    if (base == FBS_BOOL) {
        put_text(o, value != 0 ? "true" : "false");
        return;
    }
    if (base == FBS_ULONG) {
        snprintf(number, sizeof number, "%" PRIu64, (uint64_t)value);
    } else {
        snprintf(number, sizeof number, "%" PRId64, value);
    }
    put_text(o, number);
}

static void out_struct(out_t *o, const fbs_object_t *object, const uint8_t *at)
{
    bool first = true;
    put_text(o, "{");
    for (uint32_t i = 0; i < object->field_count; i++) {
        const fbs_field_t *field = &object->fields[i];
        put_name(o, field->name, &first);
        out_scalar(o, field->base, field->names, fbs_load(field->base, at + field->at));
    }
    put_text(o, "}");
}

static err_t out_table(out_t *o, const fbs_object_t *object, const void *table);

static err_t out_vector(out_t *o, const fbs_field_t *field, const void *table)
{
    uint32_t       count;
    const uint8_t *els = fbs_vector(table, field->at, &count);
    err_t          err = ERR_OK;
    put_text(o, "[");
    for (uint32_t i = 0; i < count && err == ERR_OK; i++) {
        put_text(o, i == 0 ? "" : ",");
        if (field->element == FBS_OBJ && field->object->is_struct) {
            out_struct(o, field->object, els + (size_t)i * field->object->bytes);
        } else if (field->element == FBS_OBJ) {
            err = out_table(o, field->object, fbs_ref(els + 4 * (size_t)i));
        } else if (field->element == FBS_STRING) {
            const uint8_t *string = fbs_ref(els + 4 * (size_t)i);
            err                   = out_string(o, field, (const char *)string + 4, fbs_u32(string));
        } else {
            const uint32_t bytes = fbs_scalar_bytes(field->element);
            out_scalar(o, field->element, field->names, fbs_load(field->element, els + (size_t)i * bytes));
        }
    }
    put_text(o, "]");
    return err;
}

static err_t out_field(out_t *o, const fbs_object_t *object, const fbs_field_t *field, const void *table)
{
    const uint8_t *at = fbs_slot(table, field->at);
    uint32_t       len;
    switch (field->base) {
    case FBS_STRING: {
        const char *text = fbs_string(table, field->at, &len);
        return out_string(o, field, text, len);
    }
    case FBS_VECTOR: return out_vector(o, field, table);
    case FBS_OBJ:
        if (field->object->is_struct) {
            out_struct(o, field->object, at);
            return ERR_OK;
        }
        return out_table(o, field->object, fbs_ref(at));
    case FBS_UNION: {
        const uint8_t      *type  = fbs_slot(table, field[-1].at);
        const fbs_object_t *child = fbs_union_object(field->names, *type);
        if (child == NULL) {
            return err_set(ERR_UNSUPPORTED, "JSON: %s.%s: type %u is not in this schema", object->name, field->name,
                           *type);
        }
        return out_table(o, child, fbs_ref(at));
    }
    default: out_scalar(o, field->base, field->names, at == NULL ? field->fallback : fbs_load(field->base, at));
    }
    return ERR_OK;
}

/* Recursive as the verifier, and bounded by it. */
static err_t out_table(out_t *o, const fbs_object_t *object, const void *table)
{
    bool  first = true;
    err_t err   = ERR_OK;
    put_text(o, "{");
    for (uint32_t i = 0; i < object->field_count && err == ERR_OK; i++) {
        const fbs_field_t *field = &object->fields[i];
        const bool         plain = fbs_scalar_bytes(field->base) != 0 && field->base != FBS_UTYPE;
        if (plain || fbs_slot(table, field->at) != NULL) {
            put_name(o, field->name, &first);
            err = out_field(o, object, field, table);
        }
    }
    put_text(o, "}");
    return err;
}

err_t fbs_json_out(const fbs_object_t *root, const void *buf, char *text, size_t cap, size_t *len)
{
    out_t       o   = {.text = text, .cap = cap};
    const err_t err = out_table(&o, root, fbs_root(buf));
    if (err != ERR_OK) {
        return err;
    }
    if (o.len >= cap) {
        *len = o.len + 1;
        return ERR_FULL;
    }
    text[o.len] = 0;
    *len        = o.len;
    return ERR_OK;
}

/* ---- in ---------------------------------------------------------------------------------------------------------- */
typedef struct in {
    const char    *text;
    size_t         len;
    size_t         pos;
    uint32_t       depth;
    uint32_t       tables;
    fbs_builder_t *b;
    char           string[FBS_JSON_STRING_MAX];
} in_t;

static err_t fail(const in_t *j, err_t err, const char *fmt, ...) __attribute__((format(printf, 3, 4), cold));
static err_t fail(const in_t *j, err_t err, const char *fmt, ...)
{
    char    what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return err_set(err, "JSON byte %zu: %s", j->pos, what);
}

static char peek(in_t *j)
{
    while (j->pos < j->len &&
           (j->text[j->pos] == ' ' || j->text[j->pos] == '\t' || j->text[j->pos] == '\n' || j->text[j->pos] == '\r')) {
        j->pos++;
    }
    return j->pos < j->len ? j->text[j->pos] : 0;
}

static bool eat(in_t *j, char c)
{
    const bool is = peek(j) == c && j->pos < j->len;
    j->pos += is;
    return is;
}

static err_t expect(in_t *j, char c)
{
    return eat(j, c) ? ERR_OK : fail(j, ERR_PARSE, "expected '%c'", c);
}

static bool hex4(const in_t *j, size_t pos, uint32_t *out)
{
    *out = 0;
    for (size_t i = pos; i < pos + 4; i++) {
        const char c = i < j->len ? j->text[i] : 0;
        if (c >= '0' && c <= '9') {
            *out = *out << 4 | (uint32_t)(c - '0');
        } else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
            *out = *out << 4 | (uint32_t)((c | 32) - 'a' + 10);
        } else {
            return false;
        }
    }
    return true;
}

/* in_escape: the escape whose backslash was just read, as 1 to 4 bytes of UTF-8 in out; 0 = not one. */
static size_t in_escape(in_t *j, uint8_t out[4])
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[]   = "\"\\/\b\f\n\r\t";
    const char        c      = j->pos < j->len ? j->text[j->pos++] : 0;
    const char       *at     = c == 0 ? NULL : strchr(from, c);
    uint32_t          code   = 0;
    uint32_t          low    = 0;
    if (at != NULL) {
        out[0] = (uint8_t)to[at - from];
        return 1;
    }
    if (c != 'u' || !hex4(j, j->pos, &code)) {
        return 0;
    }
    j->pos += 4;
    if (code >= 0xd800 && code < 0xe000) {
        if (code >= 0xdc00 || j->pos + 6 > j->len || memcmp(j->text + j->pos, "\\u", 2) != 0 ||
            !hex4(j, j->pos + 2, &low) || low < 0xdc00 || low >= 0xe000) {
            return 0; /* half a surrogate pair */
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        j->pos += 6;
    }
    const size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; code >>= 6) {
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
    }
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    out[0]                      = (uint8_t)(lead[n] | code);
    return n;
}

/* in_string: the string at the cursor into out (cap bytes, zero-terminated; it may hold zeros); cap counts the end. */
static err_t in_string(in_t *j, char *out, size_t cap, size_t *len)
{
    err_t err = expect(j, '"');
    *len      = 0;
    while (err == ERR_OK) {
        uint8_t        bytes[4];
        const uint8_t *from = (const uint8_t *)j->text + j->pos;
        size_t         n    = j->pos < j->len ? utf8_bytes(from, j->len - j->pos) : 0;
        if (n == 0 || *from < 0x20) {
            return fail(j, ERR_PARSE, "string without an end, not UTF-8, or with a raw control character");
        }
        j->pos += n;
        if (*from == '"') {
            out[*len] = 0;
            return ERR_OK;
        }
        if (*from == '\\') {
            n    = in_escape(j, bytes);
            from = bytes;
        }
        if (n == 0) {
            return fail(j, ERR_PARSE, "bad escape in a string");
        }
        if (*len + n >= cap) {
            return fail(j, ERR_LIMIT, "string longer than %zu bytes", cap - 1);
        }
        memcpy(out + *len, from, n);
        *len += n;
    }
    return err;
}

/* in_key: the next member's name, its colon eaten; *end when the object closes instead. first: none was read yet. */
static err_t in_key(in_t *j, char name[NAME_MAX_BYTES], bool first, bool *end)
{
    size_t len;
    *end = eat(j, '}');
    if (*end) {
        return ERR_OK;
    }
    err_t err = first ? ERR_OK : expect(j, ',');
    err       = err != ERR_OK ? err : in_string(j, name, NAME_MAX_BYTES, &len);
    if (err == ERR_OK && strlen(name) != len) {
        return fail(j, ERR_PARSE, "member name with a zero in it");
    }
    return err != ERR_OK ? err : expect(j, ':');
}

/* in_number: an integer's sign and magnitude. */
static err_t in_number(in_t *j, const char *name, bool *negative, uint64_t *magnitude)
{
    *negative         = peek(j) == '-';
    *magnitude        = 0;
    const size_t from = j->pos + *negative;
    for (j->pos = from; j->pos < j->len && j->text[j->pos] >= '0' && j->text[j->pos] <= '9'; j->pos++) {
        if (__builtin_mul_overflow(*magnitude, 10u, magnitude) ||
            __builtin_add_overflow(*magnitude, (uint64_t)(j->text[j->pos] - '0'), magnitude)) {
            return fail(j, ERR_RANGE, "%s: more than 64 bits", name);
        }
    }
    if (j->pos == from || (j->text[from] == '0' && j->pos - from > 1)) {
        return fail(j, ERR_PARSE, "%s: expected an integer", name);
    }
    if (j->pos < j->len && (j->text[j->pos] == '.' || j->text[j->pos] == 'e' || j->text[j->pos] == 'E')) {
        return fail(j, ERR_SCALE, "%s: a fraction or an exponent; integers only", name);
    }
    return ERR_OK;
}

/* skip: any value. Strings and integers are checked by the readers above; true, false and null are words. */
static err_t skip(in_t *j, uint32_t depth)
{
    size_t     len;
    uint64_t   magnitude;
    bool       negative;
    const char c = peek(j);
    if (c == '"') {
        return in_string(j, j->string, sizeof j->string, &len);
    }
    if (c != '{' && c != '[') {
        static const char *const words[] = {"true", "false", "null"};
        for (size_t i = 0; i < 3; i++) {
            const size_t n = strlen(words[i]);
            if (j->len - j->pos >= n && memcmp(j->text + j->pos, words[i], n) == 0) {
                j->pos += n;
                return ERR_OK;
            }
        }
        return in_number(j, "value", &negative, &magnitude);
    }
    if (depth == SKIP_DEPTH_MAX) {
        return fail(j, ERR_LIMIT, "nested deeper than %u", SKIP_DEPTH_MAX);
    }
    char name[NAME_MAX_BYTES];
    bool end = false;
    j->pos++;
    for (bool first = true;; first = false) {
        err_t err = ERR_OK;
        if (c == '{') {
            err = in_key(j, name, first, &end);
        } else {
            end = eat(j, ']');
            err = end || first ? ERR_OK : expect(j, ',');
        }
        err = err != ERR_OK || end ? err : skip(j, depth + 1);
        if (err != ERR_OK || end) {
            return err;
        }
    }
}

/* in_names: enum text as its value; several names with blanks between when they are flags. */
static err_t in_names(in_t *j, const char *name, const fbs_enum_t *names, int64_t *value)
{
    size_t len;
    err_t  err = in_string(j, j->string, sizeof j->string, &len);
    *value     = 0;
    for (const char *at = j->string; err == ERR_OK;) {
        const size_t n = names->bit_flags ? strcspn(at, " ") : len;
        uint32_t     i = 0;
        while (i < names->count && (strlen(names->vals[i].name) != n || memcmp(names->vals[i].name, at, n) != 0)) {
            i++;
        }
        if (i == names->count) {
            return fail(j, ERR_PARSE, "%s: \"%.60s\" is no %s", name, at, names->name);
        }
        *value |= names->vals[i].value;
        at += n;
        if (*at != ' ') {
            return (size_t)(at - j->string) == len ? ERR_OK : fail(j, ERR_PARSE, "%s: a zero in a name", name);
        }
        at++;
    }
    return err;
}

static err_t in_bool(in_t *j, const char *name, int64_t *value)
{
    const char c = peek(j);
    if (c != 't' && c != 'f') {
        return fail(j, ERR_PARSE, "%s: expected true or false", name);
    }
    *value = c == 't';
    return skip(j, 0);
}

static err_t in_scalar(in_t *j, const char *name, uint8_t base, const fbs_enum_t *names, int64_t *value)
{
    bool     negative;
    uint64_t magnitude;
    if (names != NULL && peek(j) == '"') {
        return in_names(j, name, names, value);
    }
    if (base == FBS_BOOL) {
        return in_bool(j, name, value);
    }
    const err_t err = in_number(j, name, &negative, &magnitude);
    if (err != ERR_OK) {
        return err;
    }
    const bool     is_signed = base == FBS_BYTE || base == FBS_SHORT || base == FBS_INT || base == FBS_LONG;
    const uint64_t all       = UINT64_MAX >> (64 - 8 * fbs_scalar_bytes(base));
    const uint64_t max       = negative ? (is_signed ? all / 2 + 1 : 0) : (is_signed ? all / 2 : all);
    if (magnitude > max) {
        return fail(j, ERR_RANGE, "%s: %s%" PRIu64 ", limit %s%" PRIu64, name, negative ? "-" : "", magnitude,
                    negative ? "-" : "", max);
    }
    *value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return ERR_OK;
}

static const fbs_field_t *find(const fbs_object_t *object, const char *name)
{
    for (uint32_t i = 0; i < object->field_count; i++) {
        if (strcmp(object->fields[i].name, name) == 0) {
            return &object->fields[i];
        }
    }
    return NULL;
}

/* in_member: the field that the next member names, marked in seen; NULL at the end of the object. */
typedef uint64_t seen_t[16];
static err_t     in_member(in_t *j, const fbs_object_t *object, seen_t seen, bool first, const fbs_field_t **field)
{
    char  name[NAME_MAX_BYTES];
    bool  end;
    err_t err = in_key(j, name, first, &end);
    *field    = NULL;
    if (err != ERR_OK || end) {
        return err;
    }
    *field = find(object, name);
    if (*field == NULL) {
        return fail(j, ERR_PARSE, "%s has no member \"%s\"", object->name, name);
    }
    const size_t i = (size_t)(*field - object->fields);
    if ((seen[i / 64] >> i % 64 & 1) != 0) {
        return fail(j, ERR_PARSE, "%s.%s: repeated", object->name, name);
    }
    seen[i / 64] |= 1ULL << i % 64;
    return ERR_OK;
}

static bool was_seen(const seen_t seen, const fbs_object_t *object, const fbs_field_t *field)
{
    const size_t i = (size_t)(field - object->fields);
    return (seen[i / 64] >> i % 64 & 1) != 0;
}

static err_t in_struct(in_t *j, const fbs_object_t *object, uint8_t bytes[FBS_STRUCT_MAX])
{
    seen_t             seen = {0};
    const fbs_field_t *field;
    err_t              err = expect(j, '{');
    for (bool first = true; err == ERR_OK; first = false) {
        err = in_member(j, object, seen, first, &field);
        if (err != ERR_OK || field == NULL) {
            break;
        }
        int64_t value = 0;
        err           = in_scalar(j, field->name, field->base, field->names, &value);
        memcpy(bytes + field->at, &value, fbs_scalar_bytes(field->base));
    }
    for (uint32_t i = 0; i < object->field_count && err == ERR_OK; i++) {
        if (!was_seen(seen, object, &object->fields[i])) {
            err = fail(j, ERR_PARSE, "%s.%s: missing; a struct needs all of its fields", object->name,
                       object->fields[i].name);
        }
    }
    return err;
}

static err_t in_table(in_t *j, const fbs_object_t *object, uint32_t table);

/* count_elements: of the array whose bracket was just eaten; the cursor stays. */
static err_t count_elements(in_t *j, size_t *count)
{
    const size_t start = j->pos;
    err_t        err   = ERR_OK;
    *count             = 0;
    while (err == ERR_OK && !eat(j, ']')) {
        err = *count == 0 ? ERR_OK : expect(j, ',');
        err = err != ERR_OK ? err : skip(j, 0);
        *count += 1;
    }
    j->pos = err == ERR_OK ? start : j->pos;
    return err;
}

static err_t in_vector(in_t *j, const fbs_field_t *field, uint32_t table)
{
    size_t count = 0;
    size_t len;
    err_t  err = expect(j, '[');
    err        = err != ERR_OK ? err : count_elements(j, &count);
    if (err != ERR_OK) {
        return err;
    }
    const uint32_t vector = fbs_put_space(j->b, table, field, count);
    for (uint32_t i = 0; i < count && err == ERR_OK && j->b->err == ERR_OK; i++) {
        uint8_t bytes[FBS_STRUCT_MAX];
        int64_t value = 0;
        eat(j, ','); /* that there is one between elements was seen when they were counted */
        if (field->element == FBS_STRING) {
            err = in_string(j, j->string, sizeof j->string, &len);
            if (err == ERR_OK) {
                fbs_space_string(j->b, vector, i, j->string, len);
            }
        } else if (field->element != FBS_OBJ) {
            err = in_scalar(j, field->name, field->element, field->names, &value);
            fbs_space_set(j->b, vector, field, i, &value);
        } else if (!field->object->is_struct) {
            err = in_table(j, field->object, fbs_space_table(j->b, vector, i, field->object));
        } else if ((err = in_struct(j, field->object, bytes)) == ERR_OK) {
            fbs_space_set(j->b, vector, field, i, bytes);
        }
    }
    if (j->b->err != ERR_OK) {
        return j->b->err;
    }
    return err != ERR_OK ? err : expect(j, ']');
}

/* union_type: the value of the type member, wherever in the object (which begins at start) it stands; 0 = none. */
static err_t union_type(in_t *j, const fbs_field_t *type, size_t start, int64_t *value)
{
    const size_t pos = j->pos;
    char         name[NAME_MAX_BYTES];
    bool         end = false;
    err_t        err = ERR_OK;
    *value           = 0;
    j->pos           = start;
    for (bool first = true; err == ERR_OK; first = false) {
        err = in_key(j, name, first, &end);
        if (err != ERR_OK || end || strcmp(name, type->name) == 0) {
            break;
        }
        err = skip(j, 0);
    }
    err    = err != ERR_OK || end ? err : in_scalar(j, type->name, type->base, type->names, value);
    j->pos = err == ERR_OK ? pos : j->pos;
    return err;
}

static err_t in_union(in_t *j, const fbs_field_t *field, uint32_t table, size_t start)
{
    int64_t     type = 0;
    const err_t err  = union_type(j, field - 1, start, &type);
    if (err != ERR_OK) {
        return err;
    }
    const fbs_object_t *child = fbs_union_object(field->names, (uint8_t)type);
    if (child == NULL) {
        return fail(j, ERR_PARSE, "%s: no value of type %" PRId64 " known", field->name, type);
    }
    return in_table(j, child, fbs_put_union(j->b, table, field, (uint8_t)type));
}

static err_t in_field(in_t *j, const fbs_field_t *field, uint32_t table, size_t start)
{
    uint8_t bytes[FBS_STRUCT_MAX];
    size_t  len;
    int64_t value = 0;
    err_t   err;
    switch (field->base) {
    case FBS_STRING:
        err = in_string(j, j->string, sizeof j->string, &len);
        if (err == ERR_OK) {
            fbs_put_string(j->b, table, field, j->string, len);
        }
        return err;
    case FBS_VECTOR: return in_vector(j, field, table);
    case FBS_UNION: return in_union(j, field, table, start);
    case FBS_UTYPE: return in_scalar(j, field->name, field->base, field->names, &value); /* put with its value */
    case FBS_OBJ:
        if (!field->object->is_struct) {
            return in_table(j, field->object, fbs_put_table(j->b, table, field));
        }
        err = in_struct(j, field->object, bytes);
        if (err == ERR_OK) {
            fbs_put(j->b, table, field, bytes);
        }
        return err;
    default:
        err = in_scalar(j, field->name, field->base, field->names, &value);
        if (err == ERR_OK) {
            fbs_put(j->b, table, field, &value);
        }
        return err;
    }
}

/* check_present: required fields, and a value to each union type that is not NONE. */
static err_t check_present(in_t *j, const fbs_object_t *object, const seen_t seen, size_t start)
{
    for (uint32_t i = 0; i < object->field_count; i++) {
        const fbs_field_t *field = &object->fields[i];
        int64_t            type  = 0;
        if (was_seen(seen, object, field)) {
            continue;
        }
        if (field->required) {
            return fail(j, ERR_PARSE, "%s.%s: required, and missing", object->name, field->name);
        }
        if (field->base == FBS_UNION && union_type(j, field - 1, start, &type) == ERR_OK && type != 0) {
            return fail(j, ERR_PARSE, "%s.%s: type without a value", object->name, field->name);
        }
    }
    return ERR_OK;
}

static err_t in_table(in_t *j, const fbs_object_t *object, uint32_t table)
{
    seen_t             seen = {0};
    const fbs_field_t *field;
    if (j->b->err != ERR_OK) {
        return j->b->err;
    }
    if (j->depth == FBS_DEPTH_MAX || j->tables == FBS_TABLES_MAX) {
        return fail(j, ERR_LIMIT, "%s: more than %u tables, or nested deeper than %u", object->name, FBS_TABLES_MAX,
                    FBS_DEPTH_MAX);
    }
    j->depth++;
    j->tables++;
    err_t        err   = expect(j, '{');
    const size_t start = j->pos;
    for (bool first = true; err == ERR_OK; first = false) {
        err = in_member(j, object, seen, first, &field);
        if (err != ERR_OK || field == NULL) {
            break;
        }
        err = in_field(j, field, table, start);
        err = err != ERR_OK ? err : j->b->err;
    }
    j->depth--;
    return err != ERR_OK ? err : check_present(j, object, seen, start);
}

err_t fbs_json_in(const fbs_object_t *root, const char *text, size_t text_len, void *buf, size_t cap, size_t *len)
{
    fbs_builder_t  b;
    in_t           j     = {.text = text, .len = text_len, .b = &b};
    const uint32_t table = fbs_begin(&b, root, buf, cap);
    err_t          err   = in_table(&j, root, table);
    *len                 = 0;
    if (err == ERR_OK && (peek(&j), j.pos != j.len)) {
        err = fail(&j, ERR_PARSE, "something follows the value");
    }
    return err != ERR_OK ? err : fbs_end(&b, len);
}
