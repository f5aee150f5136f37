#include "ipc/gen/bfbs.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- reflection.fbs, as far as we read it ------------------------------------------------------------------------
 * Each list is in order of id; `at` is 4 + 2 * id. Source: FlatBuffers 2.0.8, reflection/reflection.fbs. */
#define BFBS_TABLES_MAX 100000u
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SCALAR(nm, bs, slot)                                                                                           \
    {                                                                                                                  \
        .name = nm, .base = bs, .at = slot                                                                             \
    }
#define STRING(nm, slot, req)                                                                                          \
    {                                                                                                                  \
        .name = nm, .base = FBS_STRING, .at = slot, .required = req                                                    \
    }
#define TABLE(nm, obj, slot, req)                                                                                      \
    {                                                                                                                  \
        .name = nm, .base = FBS_OBJ, .object = obj, .at = slot, .required = req                                        \
    }
#define TABLES(nm, obj, slot, req)                                                                                     \
    {                                                                                                                  \
        .name = nm, .base = FBS_VECTOR, .element = FBS_OBJ, .object = obj, .at = slot, .required = req                 \
    }
#define STRINGS(nm, slot)                                                                                              \
    {                                                                                                                  \
        .name = nm, .base = FBS_VECTOR, .element = FBS_STRING, .at = slot                                              \
    }
#define OBJECT(nm, list)                                                                                               \
    {                                                                                                                  \
        .name = nm, .fields = list, .field_count = COUNT(list)                                                         \
    }

enum { KV_KEY = 4, KV_VALUE = 6 };
enum { TYPE_BASE = 4, TYPE_ELEMENT = 6, TYPE_INDEX = 8 };
enum { VAL_NAME = 4, VAL_VALUE = 6, VAL_UNION_TYPE = 10, VAL_DOC = 12 };
enum { ENUM_NAME = 4, ENUM_VALUES = 6, ENUM_IS_UNION = 8, ENUM_TYPE = 10, ENUM_ATTRIBUTES = 12, ENUM_DOC = 14 };
enum {
    FIELD_NAME       = 4,
    FIELD_TYPE       = 6,
    FIELD_ID         = 8,
    FIELD_OFFSET     = 10,
    FIELD_DEFAULT    = 12,
    FIELD_DEPRECATED = 16,
    FIELD_REQUIRED   = 18,
    FIELD_DOC        = 24,
    FIELD_OPTIONAL   = 26
};
enum {
    OBJ_NAME       = 4,
    OBJ_FIELDS     = 6,
    OBJ_IS_STRUCT  = 8,
    OBJ_ALIGN      = 10,
    OBJ_BYTES      = 12,
    OBJ_ATTRIBUTES = 14,
    OBJ_DOC        = 16
};
enum { SCHEMA_OBJECTS = 4, SCHEMA_ENUMS = 6, SCHEMA_IDENT = 8, SCHEMA_ROOT = 12 };

static const fbs_field_t  kv_fields[] = {STRING("key", KV_KEY, true), STRING("value", KV_VALUE, false)};
static const fbs_object_t kv_object   = OBJECT("reflection.KeyValue", kv_fields);

static const fbs_field_t  type_fields[] = {SCALAR("base_type", FBS_BYTE, TYPE_BASE),
                                           SCALAR("element", FBS_BYTE, TYPE_ELEMENT),
                                           SCALAR("index", FBS_INT, TYPE_INDEX)};
static const fbs_object_t type_object   = OBJECT("reflection.Type", type_fields);

static const fbs_field_t  val_fields[] = {STRING("name", VAL_NAME, true), SCALAR("value", FBS_LONG, VAL_VALUE),
                                          TABLE("union_type", &type_object, VAL_UNION_TYPE, false),
                                          STRINGS("documentation", VAL_DOC)};
static const fbs_object_t val_object   = OBJECT("reflection.EnumVal", val_fields);

static const fbs_field_t  enum_fields[] = {STRING("name", ENUM_NAME, true),
                                           TABLES("values", &val_object, ENUM_VALUES, true),
                                           SCALAR("is_union", FBS_BOOL, ENUM_IS_UNION),
                                           TABLE("underlying_type", &type_object, ENUM_TYPE, true),
                                           TABLES("attributes", &kv_object, ENUM_ATTRIBUTES, false),
                                           STRINGS("documentation", ENUM_DOC)};
static const fbs_object_t enum_object   = OBJECT("reflection.Enum", enum_fields);

static const fbs_field_t  field_fields[] = {STRING("name", FIELD_NAME, true),
                                            TABLE("type", &type_object, FIELD_TYPE, true),
                                            SCALAR("id", FBS_USHORT, FIELD_ID),
                                            SCALAR("offset", FBS_USHORT, FIELD_OFFSET),
                                            SCALAR("default_integer", FBS_LONG, FIELD_DEFAULT),
                                            SCALAR("deprecated", FBS_BOOL, FIELD_DEPRECATED),
                                            SCALAR("required", FBS_BOOL, FIELD_REQUIRED),
                                            STRINGS("documentation", FIELD_DOC),
                                            SCALAR("optional", FBS_BOOL, FIELD_OPTIONAL)};
static const fbs_object_t field_object   = OBJECT("reflection.Field", field_fields);

static const fbs_field_t  obj_fields[] = {STRING("name", OBJ_NAME, true),
                                          TABLES("fields", &field_object, OBJ_FIELDS, true),
                                          SCALAR("is_struct", FBS_BOOL, OBJ_IS_STRUCT),
                                          SCALAR("minalign", FBS_INT, OBJ_ALIGN),
                                          SCALAR("bytesize", FBS_INT, OBJ_BYTES),
                                          TABLES("attributes", &kv_object, OBJ_ATTRIBUTES, false),
                                          STRINGS("documentation", OBJ_DOC)};
static const fbs_object_t obj_object   = OBJECT("reflection.Object", obj_fields);

static const fbs_field_t schema_fields[] = {
    TABLES("objects", &obj_object, SCHEMA_OBJECTS, true), TABLES("enums", &enum_object, SCHEMA_ENUMS, true),
    STRING("file_ident", SCHEMA_IDENT, false), TABLE("root_table", &obj_object, SCHEMA_ROOT, false)};
static const fbs_object_t schema_object = OBJECT("reflection.Schema", schema_fields);

/* ---- reading ----------------------------------------------------------------------------------------------------- */
static int64_t scalar(const void *table, uint32_t at, uint8_t base, int64_t fallback)
{
    const void *p = fbs_slot(table, at);
    return p == NULL ? fallback : fbs_load(base, p);
}

static const char *text(const void *table, uint32_t at)
{
    uint32_t len;
    return fbs_string(table, at, &len);
}

/* item: element i of a vector of tables. */
static const void *item(const void *table, uint32_t at, uint32_t i)
{
    uint32_t       count;
    const uint8_t *words = fbs_vector(table, at, &count);
    return fbs_ref(words + 4 * (size_t)i);
}

static uint32_t items(const void *table, uint32_t at)
{
    uint32_t count;
    fbs_vector(table, at, &count);
    return count;
}

static const char *attribute(const void *table, uint32_t at, const char *key)
{
    for (uint32_t i = 0; i < items(table, at); i++) {
        const void *kv = item(table, at, i);
        if (strcmp(text(kv, KV_KEY), key) == 0) {
            const char *value = text(kv, KV_VALUE);
            return value == NULL ? "" : value;
        }
    }
    return NULL;
}

const char *bfbs_doc_line(bfbs_doc_t doc, uint32_t i)
{
    return i < items(doc.table, doc.at) ? (const char *)item(doc.table, doc.at, i) + 4 : NULL;
}

static bool is_identifier(const char *name)
{
    if (name == NULL || !(isalpha((unsigned char)name[0]) || name[0] == '_') || strlen(name) > 60) {
        return false;
    }
    for (const char *c = name; *c != 0; c++) {
        if (!(isalnum((unsigned char)*c) || *c == '_')) {
            return false;
        }
    }
    return true;
}

static bool is_include(const char *path)
{
    return path != NULL && path[0] != 0 && strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789_./") == strlen(path);
}

/* own_name: the part behind the last dot of "hwal.Trade"; all of a schema must share what is before it. */
static err_t own_name(bfbs_schema_t *schema, const char *full, const char **name)
{
    const char  *dot = strrchr(full, '.');
    const size_t len = dot == NULL ? 0 : (size_t)(dot - full);
    if (len == 0 || len >= sizeof schema->ns || !is_identifier(dot + 1)) {
        return err_set(ERR_UNSUPPORTED, "schema: %s: expected one namespace and a name", full);
    }
    if (schema->ns[0] == 0) {
        memcpy(schema->ns, full, len);
        if (!is_identifier(schema->ns)) {
            return err_set(ERR_UNSUPPORTED, "schema: namespace of %s is not one identifier", full);
        }
    }
    if (strlen(schema->ns) != len || memcmp(schema->ns, full, len) != 0) {
        return err_set(ERR_UNSUPPORTED, "schema: %s is not in namespace %s", full, schema->ns);
    }
    *name = dot + 1;
    return ERR_OK;
}

static void *list_new(uint32_t count, size_t bytes)
{
    void *list = calloc(count == 0 ? 1 : count, bytes);
    if (list == NULL) {
        fprintf(stderr, "fbsgen: out of memory\n");
        exit(1);
    }
    return list;
}

static err_t read_enum(bfbs_schema_t *schema, const void *table, bfbs_enum_t *out)
{
    err_t err = own_name(schema, text(table, ENUM_NAME), &out->name);
    if (err != ERR_OK) {
        return err;
    }
    out->is_union  = scalar(table, ENUM_IS_UNION, FBS_BOOL, 0) != 0;
    out->base      = (uint8_t)scalar(fbs_table(table, ENUM_TYPE), TYPE_BASE, FBS_BYTE, 0);
    out->bit_flags = attribute(table, ENUM_ATTRIBUTES, "bit_flags") != NULL;
    out->c_prefix  = attribute(table, ENUM_ATTRIBUTES, "c_prefix");
    out->c_count   = attribute(table, ENUM_ATTRIBUTES, "c_count");
    out->doc       = (bfbs_doc_t){table, ENUM_DOC};
    out->val_count = items(table, ENUM_VALUES);
    out->vals      = list_new(out->val_count, sizeof *out->vals);
    if (!is_identifier(out->c_prefix) || (out->c_count != NULL && !is_identifier(out->c_count))) {
        return err_set(ERR_UNSUPPORTED, "schema: enum %s: needs (c_prefix: \"NAME_\")", out->name);
    }
    for (uint32_t i = 0; i < out->val_count; i++) {
        const void *val  = item(table, ENUM_VALUES, i);
        const void *type = fbs_table(val, VAL_UNION_TYPE);
        out->vals[i]     = (bfbs_enum_val_t){.name = text(val, VAL_NAME), .value = scalar(val, VAL_VALUE, FBS_LONG, 0)};
        out->vals[i].object = type == NULL ? -1 : (int32_t)scalar(type, TYPE_INDEX, FBS_INT, -1);
        if (!is_identifier(out->vals[i].name)) {
            return err_set(ERR_PARSE, "schema: enum %s: value %u has no proper name", out->name, i);
        }
    }
    return ERR_OK;
}

static err_t read_field(const void *table, const char *object, bool is_struct, bfbs_field_t *out)
{
    const void *type = fbs_table(table, FIELD_TYPE);
    *out             = (bfbs_field_t){
                    .name       = text(table, FIELD_NAME),
                    .base       = (uint8_t)scalar(type, TYPE_BASE, FBS_BYTE, 0),
                    .element    = (uint8_t)scalar(type, TYPE_ELEMENT, FBS_BYTE, 0),
                    .object     = -1,
                    .names      = -1,
                    .id         = (uint16_t)scalar(table, FIELD_ID, FBS_USHORT, 0),
                    .at         = (uint16_t)scalar(table, FIELD_OFFSET, FBS_USHORT, 0),
                    .fallback   = scalar(table, FIELD_DEFAULT, FBS_LONG, 0),
                    .deprecated = scalar(table, FIELD_DEPRECATED, FBS_BOOL, 0) != 0,
                    .required   = scalar(table, FIELD_REQUIRED, FBS_BOOL, 0) != 0,
                    .doc        = {table, FIELD_DOC},
    };
    const int32_t index = (int32_t)scalar(type, TYPE_INDEX, FBS_INT, -1);
    const uint8_t what  = out->base == FBS_VECTOR ? out->element : out->base;
    if (!is_identifier(out->name)) {
        return err_set(ERR_PARSE, "schema: %s: a field has no proper name", object);
    }
    if (scalar(table, FIELD_OPTIONAL, FBS_BOOL, 0) != 0 && fbs_scalar_bytes(out->base) != 0) {
        return err_set(ERR_UNSUPPORTED, "schema: %s.%s: optional scalars are not used", object, out->name);
    }
    if (is_struct && (fbs_scalar_bytes(out->base) == 0 || out->base == FBS_BOOL)) {
        return err_set(ERR_UNSUPPORTED, "schema: %s.%s: a struct holds integers and enums only", object, out->name);
    }
    if (out->base == FBS_VECTOR && what != FBS_STRING && what != FBS_OBJ && fbs_scalar_bytes(what) == 0) {
        return err_set(ERR_UNSUPPORTED, "schema: %s.%s: vector of kind %u", object, out->name, what);
    }
    if (out->base != FBS_VECTOR && what != FBS_STRING && what != FBS_OBJ && what != FBS_UNION &&
        fbs_scalar_bytes(what) == 0) {
        return err_set(ERR_UNSUPPORTED, "schema: %s.%s: fields of kind %u (floating point, array) are not used", object,
                       out->name, what);
    }
    *(what == FBS_OBJ ? &out->object : &out->names) = index;
    return ERR_OK;
}

static err_t order_fields(bfbs_object_t *out, bfbs_field_t *unordered)
{
    for (uint32_t i = 0; i < out->field_count; i++) {
        const uint32_t id = unordered[i].id;
        if (id >= out->field_count || out->fields[id].name != NULL) {
            return err_set(ERR_PARSE, "schema: %s.%s: id %u of %u fields", out->name, unordered[i].name, id,
                           out->field_count);
        }
        if (!out->is_struct && unordered[i].at != 4 + 2 * id) {
            return err_set(ERR_PARSE, "schema: %s.%s: offset %u for id %u", out->name, unordered[i].name,
                           unordered[i].at, id);
        }
        out->fields[id] = unordered[i];
    }
    return ERR_OK;
}

static err_t read_object(bfbs_schema_t *schema, const void *table, bfbs_object_t *out)
{
    err_t err = own_name(schema, text(table, OBJ_NAME), &out->name);
    if (err != ERR_OK) {
        return err;
    }
    out->is_struct   = scalar(table, OBJ_IS_STRUCT, FBS_BOOL, 0) != 0;
    out->align       = (uint32_t)scalar(table, OBJ_ALIGN, FBS_INT, 0);
    out->bytes       = (uint32_t)scalar(table, OBJ_BYTES, FBS_INT, 0);
    out->hot         = attribute(table, OBJ_ATTRIBUTES, "hot") != NULL;
    out->c_type      = attribute(table, OBJ_ATTRIBUTES, "c_type");
    out->c_include   = attribute(table, OBJ_ATTRIBUTES, "c_include");
    out->doc         = (bfbs_doc_t){table, OBJ_DOC};
    out->field_count = items(table, OBJ_FIELDS);
    out->fields      = list_new(out->field_count, sizeof *out->fields);
    if (out->field_count == 0 || out->field_count > 1000) {
        return err_set(ERR_UNSUPPORTED, "schema: %s: %u fields, limits 1 to 1000", out->name, out->field_count);
    }
    if (out->is_struct && !is_identifier(out->c_type)) {
        return err_set(ERR_UNSUPPORTED, "schema: struct %s: needs (c_type: \"name_t\")", out->name);
    }
    bfbs_field_t *unordered = list_new(out->field_count, sizeof *unordered);
    for (uint32_t i = 0; i < out->field_count && err == ERR_OK; i++) {
        err = read_field(item(table, OBJ_FIELDS, i), out->name, out->is_struct, &unordered[i]);
    }
    err = err != ERR_OK ? err : order_fields(out, unordered);
    free(unordered);
    return err;
}

/* ---- checks across the schema ------------------------------------------------------------------------------------ */
uint32_t bfbs_field_bytes(const bfbs_schema_t *schema, const bfbs_field_t *field)
{
    const uint32_t bytes = fbs_scalar_bytes(field->base);
    if (field->base == FBS_OBJ && schema->objects[field->object].is_struct) {
        return schema->objects[field->object].bytes;
    }
    return bytes != 0 ? bytes : 4;
}

uint32_t bfbs_field_align(const bfbs_schema_t *schema, const bfbs_field_t *field)
{
    return field->base == FBS_OBJ && schema->objects[field->object].is_struct ? schema->objects[field->object].align
                                                                              : bfbs_field_bytes(schema, field);
}

static err_t check_indexes(const bfbs_schema_t *schema, const bfbs_object_t *object)
{
    for (uint32_t i = 0; i < object->field_count; i++) {
        const bfbs_field_t *field = &object->fields[i];
        const uint8_t       what  = field->base == FBS_VECTOR ? field->element : field->base;
        if (what == FBS_OBJ && (field->object < 0 || (uint32_t)field->object >= schema->object_count)) {
            return err_set(ERR_PARSE, "schema: %s.%s: object %d of %u", object->name, field->name, field->object,
                           schema->object_count);
        }
        const bool named = what == FBS_UNION || what == FBS_UTYPE;
        if (what != FBS_OBJ && (field->names < (named ? 0 : -1) || field->names >= (int32_t)schema->enum_count)) {
            return err_set(ERR_PARSE, "schema: %s.%s: enum %d of %u", object->name, field->name, field->names,
                           schema->enum_count);
        }
        const bool is_union = field->names >= 0 && schema->enums[field->names].is_union;
        if (is_union != named || (field->base == FBS_VECTOR && named)) {
            return err_set(ERR_UNSUPPORTED, "schema: %s.%s: this use of a union", object->name, field->name);
        }
        if (what == FBS_UNION &&
            (i == 0 || object->fields[i - 1].base != FBS_UTYPE || object->fields[i - 1].names != field->names)) {
            return err_set(ERR_PARSE, "schema: %s.%s: no type field before the union", object->name, field->name);
        }
    }
    return ERR_OK;
}

static err_t check_struct(const bfbs_schema_t *schema, const bfbs_object_t *object)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < object->field_count; i++) {
        if (object->fields[i].at != at) {
            return err_set(ERR_UNSUPPORTED, "schema: %s.%s: at byte %u, expected %u: padding must be a field",
                           object->name, object->fields[i].name, object->fields[i].at, at);
        }
        at += bfbs_field_bytes(schema, &object->fields[i]);
    }
    if (at > FBS_STRUCT_MAX) {
        return err_set(ERR_UNSUPPORTED, "schema: %s: %u bytes, limit %u", object->name, at, FBS_STRUCT_MAX);
    }
    if (at != object->bytes || object->align == 0 || object->align > 8 || (object->align & (object->align - 1)) != 0 ||
        at % object->align != 0) {
        return err_set(ERR_UNSUPPORTED, "schema: %s: %u bytes of fields, size %u, align %u (limit 8)", object->name, at,
                       object->bytes, object->align);
    }
    return ERR_OK;
}

static err_t check_hot(const bfbs_schema_t *schema, const bfbs_object_t *object)
{
    uint32_t structs = 0;
    uint32_t tails   = 0;
    for (uint32_t i = 0; i < object->field_count; i++) {
        const bfbs_field_t  *field = &object->fields[i];
        const bfbs_object_t *what  = field->object >= 0 ? &schema->objects[field->object] : NULL;
        if (what == NULL || !what->is_struct || what->align != 8) {
            return err_set(ERR_UNSUPPORTED, "schema: %s.%s: a hot table holds 8-aligned structs and one vector of them",
                           object->name, field->name);
        }
        structs += field->base == FBS_OBJ;
        tails += field->base == FBS_VECTOR;
    }
    const bfbs_field_t *body = &object->fields[0];
    if (body->base != FBS_OBJ || !body->required || body->deprecated || tails > 1) {
        return err_set(ERR_UNSUPPORTED,
                       "schema: %s: hot, with %u structs (field 0 must be one, required) and %u vectors "
                       "(limit 1)",
                       object->name, structs, tails);
    }
    /* The smallest legal buffer, its vtable inside the body, has 8 + body bytes: a view may compare no more than that.
     */
    if ((object->vtable_bytes + 7) / 8 * 8 > schema->objects[body->object].bytes) {
        return err_set(ERR_UNSUPPORTED, "schema: %s: hot, with %u fields: too many for a body of %u bytes",
                       object->name, object->field_count, schema->objects[body->object].bytes);
    }
    return ERR_OK;
}

/* Where our writers put a table's fields: widest alignment first, else in order of id. A table begins at 8k + 4, so
 * what lies behind its first word is aligned; structs come first because no scalar is wider. In a hot table the tail
 * word is last, at 8k, its vector's count follows at 8k + 4 and the elements are aligned without padding. */
static err_t place_fields(const bfbs_schema_t *schema, bfbs_object_t *object)
{
    uint32_t at = 4;
    for (uint32_t align = 8; align != 0; align /= 2) {
        for (uint32_t i = 0; i < object->field_count; i++) {
            bfbs_field_t *field = &object->fields[i];
            if (bfbs_field_align(schema, field) == align && !field->deprecated) {
                field->place = (uint16_t)at;
                at += bfbs_field_bytes(schema, field);
            }
        }
    }
    object->bytes        = at;
    object->vtable_bytes = 4 + 2 * object->field_count;
    if (at > 32768) {
        return err_set(ERR_UNSUPPORTED, "schema: %s: %u inline bytes, limit 32768", object->name, at);
    }
    return object->hot ? check_hot(schema, object) : ERR_OK;
}

static err_t check_schema(bfbs_schema_t *schema)
{
    err_t err = ERR_OK;
    for (uint32_t i = 0; i < schema->enum_count; i++) {
        const bfbs_enum_t *names = &schema->enums[i];
        for (uint32_t k = 0; k < names->val_count; k++) {
            const int32_t object = names->vals[k].object;
            const bool    member = names->is_union && names->vals[k].value != 0;
            if (member &&
                (object < 0 || (uint32_t)object >= schema->object_count || schema->objects[object].is_struct ||
                 names->vals[k].value > 255 || names->vals[k].value < 0)) {
                return err_set(ERR_UNSUPPORTED, "schema: union %s: %s is not a table", names->name,
                               names->vals[k].name);
            }
            schema->enums[i].vals[k].object = member ? object : -1;
        }
    }
    for (uint32_t i = 0; i < schema->object_count && err == ERR_OK; i++) {
        err = check_indexes(schema, &schema->objects[i]);
        if (err == ERR_OK && schema->objects[i].is_struct) {
            err = check_struct(schema, &schema->objects[i]);
        }
    }
    for (uint32_t i = 0; i < schema->object_count && err == ERR_OK; i++) {
        err = schema->objects[i].is_struct ? ERR_OK : place_fields(schema, &schema->objects[i]);
    }
    return err;
}

static err_t read_root(bfbs_schema_t *schema, const void *table)
{
    const void *root  = fbs_table(table, SCHEMA_ROOT);
    const char *ident = text(table, SCHEMA_IDENT);
    const char *name;
    if (root == NULL) {
        return err_set(ERR_UNSUPPORTED, "schema: no root_type");
    }
    const err_t err = own_name(schema, text(root, OBJ_NAME), &name);
    if (err != ERR_OK) {
        return err;
    }
    while (schema->root < schema->object_count && strcmp(schema->objects[schema->root].name, name) != 0) {
        schema->root++;
    }
    if (schema->root == schema->object_count || schema->objects[schema->root].is_struct) {
        return err_set(ERR_PARSE, "schema: root %s is not a table of it", name);
    }
    if (!is_include(schema->objects[schema->root].c_include)) {
        return err_set(ERR_UNSUPPORTED, "schema: root %s: needs (c_include: \"path.h\")", name);
    }
    if (ident != NULL && ident[0] != 0 && (strlen(ident) != 4 || !is_identifier(ident))) {
        return err_set(ERR_UNSUPPORTED, "schema: file_identifier is not four letters");
    }
    schema->ident = ident != NULL && ident[0] != 0 ? ident : NULL;
    return ERR_OK;
}

err_t bfbs_read(const void *buf, size_t len, bfbs_schema_t *schema)
{
    *schema   = (bfbs_schema_t){.root = 0};
    err_t err = fbs_verify_limits(&schema_object, buf, len, FBS_DEPTH_MAX, BFBS_TABLES_MAX);
    if (err != ERR_OK) {
        return err;
    }
    if (memcmp((const uint8_t *)buf + 4, "BFBS", 4) != 0) {
        return err_set(ERR_PARSE, "no binary schema: identifier BFBS is missing");
    }
    const void *table    = fbs_root(buf);
    schema->object_count = items(table, SCHEMA_OBJECTS);
    schema->objects      = list_new(schema->object_count, sizeof *schema->objects);
    schema->enum_count   = items(table, SCHEMA_ENUMS);
    schema->enums        = list_new(schema->enum_count, sizeof *schema->enums);
    for (uint32_t i = 0; i < schema->enum_count && err == ERR_OK; i++) {
        err = read_enum(schema, item(table, SCHEMA_ENUMS, i), &schema->enums[i]);
    }
    for (uint32_t i = 0; i < schema->object_count && err == ERR_OK; i++) {
        err = read_object(schema, item(table, SCHEMA_OBJECTS, i), &schema->objects[i]);
    }
    err = err != ERR_OK ? err : check_schema(schema);
    return err != ERR_OK ? err : read_root(schema, table);
}

void bfbs_free(bfbs_schema_t *schema)
{
    for (uint32_t i = 0; i < schema->enum_count; i++) {
        free(schema->enums[i].vals);
    }
    for (uint32_t i = 0; i < schema->object_count; i++) {
        free(schema->objects[i].fields);
    }
    free(schema->enums);
    free(schema->objects);
}
