#include "ipc/gen/emit.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

/* One object while its code is written: the names that every line needs. */
typedef struct ctx {
    FILE                *f;
    const bfbs_schema_t *schema;
    const bfbs_object_t *object;
    char                 x[192]; /* hwal_book_update_msg */
} ctx_t;

/* snake: BookUpdateMsg -> book_update_msg. */
static void snake(const char *camel, char *out)
{
    for (const char *c = camel; *c != 0; c++) {
        if (isupper((unsigned char)*c) && c != camel && c[-1] != '_' && !isupper((unsigned char)c[-1])) {
            *out++ = '_';
        }
        *out++ = (char)tolower((unsigned char)*c);
    }
    *out = 0;
}

static void prefixed(const bfbs_schema_t *schema, const char *name, char out[192])
{
    char own[128];
    snake(name, own); /* names are at most 60 letters */
    snprintf(out, 192, "%s_%s", schema->ns, own);
}

static ctx_t ctx_of(FILE *f, const bfbs_schema_t *schema, const bfbs_object_t *object)
{
    ctx_t c = {.f = f, .schema = schema, .object = object};
    prefixed(schema, object->name, c.x);
    return c;
}

static const char *c_scalar(uint8_t base)
{
    static const char *const types[] = {
        [FBS_UTYPE] = "uint8_t", [FBS_BOOL] = "bool",       [FBS_BYTE] = "int8_t", [FBS_UBYTE] = "uint8_t",
        [FBS_SHORT] = "int16_t", [FBS_USHORT] = "uint16_t", [FBS_INT] = "int32_t", [FBS_UINT] = "uint32_t",
        [FBS_LONG] = "int64_t",  [FBS_ULONG] = "uint64_t"};
    assert(fbs_scalar_bytes(base) != 0);
    return types[base];
}

static const char *base_name(uint8_t base)
{
    static const char *const names[] = {
        [FBS_NONE] = "FBS_NONE",     [FBS_UTYPE] = "FBS_UTYPE", [FBS_BOOL] = "FBS_BOOL",
        [FBS_BYTE] = "FBS_BYTE",     [FBS_UBYTE] = "FBS_UBYTE", [FBS_SHORT] = "FBS_SHORT",
        [FBS_USHORT] = "FBS_USHORT", [FBS_INT] = "FBS_INT",     [FBS_UINT] = "FBS_UINT",
        [FBS_LONG] = "FBS_LONG",     [FBS_ULONG] = "FBS_ULONG", [FBS_STRING] = "FBS_STRING",
        [FBS_VECTOR] = "FBS_VECTOR", [FBS_OBJ] = "FBS_OBJ",     [FBS_UNION] = "FBS_UNION"};
    return names[base];
}

/* doc: the schema's comment as a C comment; nothing when there is none. */
static void doc(FILE *f, bfbs_doc_t lines)
{
    for (uint32_t i = 0; bfbs_doc_line(lines, i) != NULL; i++) {
        const char *line = bfbs_doc_line(lines, i);
        fputs(i == 0 ? "/*" : " *", f);
        for (; *line != 0; line++) {
            if (line[0] != '*' || line[1] != '/') {
                fputc(*line, f);
            }
        }
        fputs(bfbs_doc_line(lines, i + 1) == NULL ? " */\n" : "\n", f);
    }
}

static const bfbs_object_t *object_of(const ctx_t *c, const bfbs_field_t *field)
{
    return field->object < 0 ? NULL : &c->schema->objects[field->object];
}

/* el_type: C type of the elements of a vector of scalars or structs; NULL for strings and tables. */
static const char *el_type(const ctx_t *c, const bfbs_field_t *field)
{
    if (field->element == FBS_OBJ) {
        return object_of(c, field)->is_struct ? object_of(c, field)->c_type : NULL;
    }
    return field->element == FBS_STRING ? NULL : c_scalar(field->element);
}

/* ---- hot tables -------------------------------------------------------------------------------------------------- */
static const bfbs_field_t *tail_of(const bfbs_object_t *object)
{
    for (uint32_t i = 0; i < object->field_count; i++) {
        if (object->fields[i].base == FBS_VECTOR && !object->fields[i].deprecated) {
            return &object->fields[i];
        }
    }
    return NULL;
}

/* The template: the root word, zeros, the vtable, and the table at the first 8k + 4 that leaves room for it. */
static uint32_t table_at(const bfbs_object_t *object)
{
    return (4 + object->vtable_bytes + 3) / 8 * 8 + 4;
}

static uint32_t fixed_bytes(const bfbs_object_t *object)
{
    return table_at(object) + object->bytes + (tail_of(object) != NULL ? 4 : 0);
}

static void byte_list(FILE *f, uint32_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        fprintf(f, "%u, ", value >> 8 * i & 255u);
    }
}

static void hot_head(const ctx_t *c)
{
    const bfbs_object_t *object = c->object;
    const uint32_t       at     = table_at(object);
    fprintf(c->f, "static const uint8_t %s_head[%u] = {", c->x, at + 4);
    byte_list(c->f, at, 4);
    byte_list(c->f, 0, at - object->vtable_bytes - 4);
    byte_list(c->f, object->vtable_bytes, 2);
    byte_list(c->f, object->bytes, 2);
    for (uint32_t i = 0; i < object->field_count; i++) {
        byte_list(c->f, object->fields[i].place, 2);
    }
    byte_list(c->f, object->vtable_bytes, 4);
    fputs("};\n", c->f);
}

static void hot_types(const ctx_t *c)
{
    const bfbs_field_t *tail = tail_of(c->object);
    for (int writing = 0; writing < 2; writing++) {
        const char *word = writing ? "slot" : "view";
        fprintf(c->f, "typedef struct %s_%s {\n", c->x, word);
        for (uint32_t i = 0; i < c->object->field_count; i++) {
            const bfbs_field_t *field = &c->object->fields[i];
            if (!field->deprecated) {
                fprintf(c->f, "    %s%s *%s;\n", writing ? "" : "const ", object_of(c, field)->c_type, field->name);
            }
        }
        if (tail != NULL) {
            fprintf(c->f, "    uint32_t %s_%s;\n", tail->name, writing ? "max" : "count");
        }
        fprintf(c->f, "} %s_%s_t;\n", c->x, word);
    }
}

static void hot_view(const ctx_t *c)
{
    const uint32_t      at   = table_at(c->object);
    const bfbs_field_t *tail = tail_of(c->object);
    fprintf(c->f, "static inline %s_view_t %s_view(const void *buf)\n{\n", c->x, c->x);
    fprintf(c->f, "    const uint8_t *const at = buf;\n    %s_view_t view;\n", c->x);
    fprintf(c->f, "    if (memcmp(at, %s_head, %u) == 0", c->x, at + 4);
    if (tail != NULL) {
        fprintf(c->f, " && fbs_u32(at + %u) == 4", at + tail->place);
    }
    fputs(") {\n", c->f);
    for (uint32_t i = 0; i < c->object->field_count; i++) {
        const bfbs_field_t *field = &c->object->fields[i];
        if (!field->deprecated) {
            fprintf(c->f, "        view.%s = (const void *)(at + %u);\n", field->name,
                    at + field->place + (field == tail ? 8 : 0));
        }
    }
    if (tail != NULL) {
        fprintf(c->f, "        view.%s_count = fbs_u32(at + %u);\n", tail->name, at + tail->place + 4);
    }
    fprintf(c->f, "        return view;\n    }\n    const %s_t *const table = %s_root(buf);\n", c->x, c->x);
    for (uint32_t i = 0; i < c->object->field_count; i++) {
        const bfbs_field_t *field = &c->object->fields[i];
        if (!field->deprecated) {
            fprintf(c->f, "    view.%s = %s_%s(table%s", field->name, c->x, field->name,
                    field == tail ? ", &view." : "");
            fprintf(c->f, "%s%s);\n", field == tail ? field->name : "", field == tail ? "_count" : "");
        }
    }
    fputs("    return view;\n}\n\n", c->f);
}

static void hot_writer(const ctx_t *c)
{
    const uint32_t      at    = table_at(c->object);
    const bfbs_field_t *tail  = tail_of(c->object);
    const uint32_t      fixed = fixed_bytes(c->object);
    const uint32_t      el    = tail == NULL ? 0 : object_of(c, tail)->bytes;
    fprintf(c->f, "static inline bool %s_reserve(void *buf, size_t cap, %s_slot_t *slot)\n{\n", c->x, c->x);
    fprintf(c->f, "    uint8_t *const at = buf;\n    if (cap < %u) {\n        return false;\n    }\n", fixed);
    fprintf(c->f, "    memcpy(at, %s_head, %u);\n", c->x, at + 4);
    if (tail != NULL) {
        fprintf(c->f, "    memcpy(at + %u, &(const uint32_t){4}, 4);\n", at + tail->place);
    }
    for (uint32_t i = 0; i < c->object->field_count; i++) {
        const bfbs_field_t *field = &c->object->fields[i];
        if (!field->deprecated) {
            fprintf(c->f, "    slot->%s = (void *)(at + %u);\n", field->name,
                    at + field->place + (field == tail ? 8 : 0));
        }
    }
    if (tail != NULL) {
        fprintf(c->f, "    slot->%s_max = (uint32_t)(((cap < FBS_BUFFER_MAX ? cap : FBS_BUFFER_MAX) - %u) / %u);\n",
                tail->name, fixed, el);
    }
    fputs("    return true;\n}\n\n", c->f);
    if (tail == NULL) {
        return;
    }
    fprintf(c->f, "static inline size_t %s_commit(const %s_slot_t *slot, uint32_t %s_count)\n{\n", c->x, c->x,
            tail->name);
    fprintf(c->f, "    assert(%s_count <= slot->%s_max);\n", tail->name, tail->name);
    fprintf(c->f, "    memcpy((uint8_t *)slot->%s - 4, &%s_count, 4);\n", tail->name, tail->name);
    fprintf(c->f, "    return %u + %u * (size_t)%s_count;\n}\n\n", fixed, el, tail->name);
}

static void hot_table(const ctx_t *c)
{
    const bfbs_field_t *tail  = tail_of(c->object);
    const uint32_t      fixed = fixed_bytes(c->object);
    char                upper[192];
    uint32_t            i = 0;
    for (; c->x[i] != 0; i++) {
        upper[i] = (char)toupper((unsigned char)c->x[i]);
    }
    upper[i] = 0;
    fprintf(c->f, "/* Bytes of the whole buffer%s. */\n", tail != NULL ? " with `count` elements in its tail" : "");
    if (tail != NULL) {
        fprintf(c->f, "#define %s_BYTES(count) (%uu + %uu * (size_t)(count))\n", upper, fixed,
                object_of(c, tail)->bytes);
    } else {
        fprintf(c->f, "#define %s_BYTES %uu\n", upper, fixed);
    }
    hot_head(c);
    hot_types(c);
    fputc('\n', c->f);
    hot_view(c);
    hot_writer(c);
}

/* ---- readers of every table -------------------------------------------------------------------------------------- */
static void scalar_reader(const ctx_t *c, const bfbs_field_t *field)
{
    const char *type = c_scalar(field->base);
    fprintf(c->f, "static inline %s %s_%s(const %s_t *table)\n{\n", type, c->x, field->name, c->x);
    fprintf(c->f, "    const void *const at = fbs_slot(table, %u);\n", field->at);
    if (field->base == FBS_BOOL) {
        fprintf(c->f, "    return at == NULL ? %s : *(const uint8_t *)at != 0;\n}\n\n",
                field->fallback ? "true" : "false");
        return;
    }
    if (field->base == FBS_LONG && field->fallback == INT64_MIN) {
        fprintf(c->f, "    %s value = INT64_MIN;\n", type);
    } else if (field->base == FBS_ULONG) {
        fprintf(c->f, "    %s value = %" PRIu64 "u;\n", type, (uint64_t)field->fallback);
    } else {
        fprintf(c->f, "    %s value = %" PRId64 ";\n", type, field->fallback);
    }
    fputs("    if (at != NULL) {\n        memcpy(&value, at, sizeof value);\n    }\n    return value;\n}\n\n", c->f);
}

static void vector_reader(const ctx_t *c, const bfbs_field_t *field)
{
    const char *type = el_type(c, field);
    if (type != NULL) {
        fprintf(c->f, "static inline const %s *%s_%s(const %s_t *table, uint32_t *count)\n{\n", type, c->x, field->name,
                c->x);
        fprintf(c->f, "    return fbs_vector(table, %u, count);\n}\n\n", field->at);
        return;
    }
    fprintf(c->f, "static inline uint32_t %s_%s_count(const %s_t *table)\n{\n    uint32_t count;\n", c->x, field->name,
            c->x);
    fprintf(c->f, "    fbs_vector(table, %u, &count);\n    return count;\n}\n\n", field->at);
    char of[192] = "";
    if (field->element == FBS_OBJ) {
        prefixed(c->schema, object_of(c, field)->name, of);
        fprintf(c->f, "static inline const %s_t *%s_%s_at(const %s_t *table, uint32_t i)\n{\n", of, c->x, field->name,
                c->x);
    } else {
        fprintf(c->f, "static inline const char *%s_%s_at(const %s_t *table, uint32_t i, uint32_t *len)\n{\n", c->x,
                field->name, c->x);
    }
    fprintf(c->f, "    uint32_t             count;\n    const uint8_t *const words = fbs_vector(table, %u, &count);\n",
            field->at);
    fputs("    assert(i < count);\n    const uint8_t *const to = fbs_ref(words + 4 * (size_t)i);\n", c->f);
    if (field->element == FBS_OBJ) {
        fputs("    return (const void *)to;\n}\n\n", c->f);
    } else {
        fputs("    *len = fbs_u32(to);\n    return (const void *)(to + 4);\n}\n\n", c->f);
    }
}

static void field_reader(const ctx_t *c, const bfbs_field_t *field)
{
    doc(c->f, field->doc);
    if (fbs_scalar_bytes(field->base) != 0) {
        scalar_reader(c, field);
    } else if (field->base == FBS_VECTOR) {
        vector_reader(c, field);
    } else if (field->base == FBS_STRING) {
        fprintf(c->f, "static inline const char *%s_%s(const %s_t *table, uint32_t *len)\n{\n", c->x, field->name,
                c->x);
        fprintf(c->f, "    return fbs_string(table, %u, len);\n}\n\n", field->at);
    } else if (field->base == FBS_UNION) {
        fprintf(c->f, "static inline const void *%s_%s(const %s_t *table)\n{\n", c->x, field->name, c->x);
        fprintf(c->f, "    return fbs_table(table, %u);\n}\n\n", field->at);
    } else if (object_of(c, field)->is_struct) {
        fprintf(c->f, "static inline const %s *%s_%s(const %s_t *table)\n{\n", object_of(c, field)->c_type, c->x,
                field->name, c->x);
        fprintf(c->f, "    return fbs_slot(table, %u);\n}\n\n", field->at);
    } else {
        char of[192];
        prefixed(c->schema, object_of(c, field)->name, of);
        fprintf(c->f, "static inline const %s_t *%s_%s(const %s_t *table)\n{\n", of, c->x, field->name, c->x);
        fprintf(c->f, "    return fbs_table(table, %u);\n}\n\n", field->at);
    }
}

/* ---- builders of cold tables ------------------------------------------------------------------------------------- */
static void put_open(const ctx_t *c, const char *result, const bfbs_field_t *field, const char *args)
{
    fprintf(c->f, "static inline %s %s_put_%s(fbs_builder_t *b, uint32_t table, %s)\n{\n    ", result, c->x,
            field->name, args);
}

static void put_vector(const ctx_t *c, const bfbs_field_t *field, uint32_t index)
{
    const char *type = el_type(c, field);
    char        args[256];
    char        of[192];
    if (type != NULL) {
        snprintf(args, sizeof args, "const %s *elements, size_t count", type);
        put_open(c, "void", field, args);
        fprintf(c->f, "fbs_put_vector(b, table, &%s_object.fields[%u], elements, count);\n}\n\n", c->x, index);
        return;
    }
    put_open(c, "uint32_t", field, "size_t count");
    fprintf(c->f, "return fbs_put_space(b, table, &%s_object.fields[%u], count);\n}\n\n", c->x, index);
    if (field->element == FBS_STRING) {
        fprintf(c->f,
                "static inline void %s_put_%s_at(fbs_builder_t *b, uint32_t vector, uint32_t i, const char *text, "
                "size_t len)\n{\n    fbs_space_string(b, vector, i, text, len);\n}\n\n",
                c->x, field->name);
        return;
    }
    prefixed(c->schema, object_of(c, field)->name, of);
    fprintf(c->f,
            "static inline uint32_t %s_put_%s_at(fbs_builder_t *b, uint32_t vector, uint32_t i)\n{\n"
            "    return fbs_space_table(b, vector, i, &%s_object);\n}\n\n",
            c->x, field->name, of);
}

static void put_field(const ctx_t *c, const bfbs_field_t *field, uint32_t index)
{
    char args[256];
    if (field->base == FBS_UTYPE) {
        return; /* goes with its union */
    }
    if (fbs_scalar_bytes(field->base) != 0) {
        snprintf(args, sizeof args, "%s value", c_scalar(field->base));
        put_open(c, "void", field, args);
        fprintf(c->f, "fbs_put(b, table, &%s_object.fields[%u], &value);\n}\n\n", c->x, index);
    } else if (field->base == FBS_STRING) {
        put_open(c, "void", field, "const char *text, size_t len");
        fprintf(c->f, "fbs_put_string(b, table, &%s_object.fields[%u], text, len);\n}\n\n", c->x, index);
    } else if (field->base == FBS_VECTOR) {
        put_vector(c, field, index);
    } else if (field->base == FBS_UNION) {
        put_open(c, "void", field, "uint8_t type, const void *buf, size_t len");
        fprintf(c->f, "fbs_put_buffer(b, table, &%s_object.fields[%u], type, buf, len);\n}\n\n", c->x, index);
    } else if (object_of(c, field)->is_struct) {
        snprintf(args, sizeof args, "const %s *value", object_of(c, field)->c_type);
        put_open(c, "void", field, args);
        fprintf(c->f, "fbs_put(b, table, &%s_object.fields[%u], value);\n}\n\n", c->x, index);
    } else {
        fprintf(c->f, "static inline uint32_t %s_put_%s(fbs_builder_t *b, uint32_t table)\n{\n", c->x, field->name);
        fprintf(c->f, "    return fbs_put_table(b, table, &%s_object.fields[%u]);\n}\n\n", c->x, index);
    }
}

static void cold_table(const ctx_t *c)
{
    uint32_t index = 0; /* in the descriptor, which leaves deprecated fields out */
    fprintf(c->f, "static inline uint32_t %s_begin(fbs_builder_t *b, void *buf, size_t cap)\n{\n", c->x);
    fprintf(c->f, "    return fbs_begin(b, &%s_object, buf, cap);\n}\n\n", c->x);
    for (uint32_t i = 0; i < c->object->field_count; i++) {
        if (!c->object->fields[i].deprecated) {
            put_field(c, &c->object->fields[i], index++);
        }
    }
}

/* ---- the header -------------------------------------------------------------------------------------------------- */
static void table_head(const ctx_t *c)
{
    fprintf(c->f, "/* ---- %s%s ---- */\n", c->object->name, c->object->hot ? " (hot)" : "");
    doc(c->f, c->object->doc);
    fprintf(c->f, "static inline err_t %s_verify(const void *buf, size_t len)\n{\n", c->x);
    fprintf(c->f, "    return fbs_verify(&%s_object, buf, len);\n}\n\n", c->x);
    fprintf(c->f, "static inline const %s_t *%s_root(const void *buf)\n{\n    return fbs_root(buf);\n}\n\n", c->x,
            c->x);
}

static void header_essay(FILE *f, const bfbs_schema_t *schema)
{
    const char *ns = schema->ns;
    fprintf(f,
            "/* %s_fbs: the messages and records of schema `%s` as C. Made by fbsgen from the binary schema: do not\n"
            " * edit; change the .fbs file. The structs are those of %s: nothing is converted.\n *\n",
            ns, ns, schema->objects[schema->root].c_include);
    fprintf(
        f,
        " * For a table X (in snake case, behind %s_):\n"
        " *   x_verify(buf, len)     may buf be read? Once for each buffer that crosses a border; buf 8-aligned\n"
        " *   x_root(buf)            its table, for the readers; x_FIELD(table) reads one field by the vtable: any\n"
        " *                          conforming buffer, older or newer; absent = NULL, 0 or the schema's default\n"
        " *   x_object               the descriptor: JSON (ipc/fbs_json.h) and generic code\n",
        ns);
    fputs(" * and, when it is hot (constant head, inline structs, at most one tail):\n"
          " *   x_view(buf)            all of it at once: one compare, then constant offsets; else by the vtable\n"
          " *   x_reserve(buf, cap, &slot)  writes the head; false when cap is below X_BYTES. Fill *slot.body and the "
          "rest\n"
          " *                          in place: every byte is the caller's, nothing is cleared\n"
          " *   x_commit(&slot, count) with a tail: writes the count, returns the length; without: it is X_BYTES\n"
          " * else:\n"
          " *   x_begin(b, buf, cap)   starts a buffer, returns the table; x_put_FIELD(b, table, ...) each at most "
          "once;\n"
          " *                          fbs_end(b, &len). A union takes a finished buffer of its table, copied whole.\n"
          " * Nothing here allocates or keeps state; any thread. */\n",
          f);
}

void emit_header(FILE *f, const bfbs_schema_t *schema)
{
    header_essay(f, schema);
    fprintf(f, "#pragma once\n\n#include <assert.h>\n\n#include \"%s\"\n#include \"ipc/fbs.h\"\n\n",
            schema->objects[schema->root].c_include);
    for (uint32_t i = 0; i < schema->object_count; i++) {
        const ctx_t c = ctx_of(f, schema, &schema->objects[i]);
        fprintf(f, "extern const fbs_object_t %s_object;\n", c.x);
        if (!c.object->is_struct) {
            fprintf(f, "typedef struct %s %s_t; /* a table in a verified buffer */\n", c.x, c.x);
        }
    }
    for (uint32_t i = 0; i < schema->enum_count; i++) {
        char x[192];
        prefixed(schema, schema->enums[i].name, x);
        fprintf(f, "extern const fbs_enum_t %s_names;\n", x);
    }
    fputc('\n', f);
    for (uint32_t i = 0; i < schema->object_count; i++) {
        const ctx_t c = ctx_of(f, schema, &schema->objects[i]);
        if (c.object->is_struct) {
            continue;
        }
        table_head(&c);
        for (uint32_t k = 0; k < c.object->field_count; k++) {
            if (!c.object->fields[k].deprecated) {
                field_reader(&c, &c.object->fields[k]);
            }
        }
        (c.object->hot ? hot_table : cold_table)(&c);
    }
}

/* ---- the source: pins and descriptors ---------------------------------------------------------------------------- */
static void pin_struct(FILE *f, const bfbs_object_t *object)
{
    const char *t = object->c_type;
    fprintf(f, "_Static_assert(sizeof(%s) == %u && _Alignof(%s) == %u, \"%s\");\n", t, object->bytes, t, object->align,
            object->name);
    for (uint32_t i = 0; i < object->field_count; i++) {
        const bfbs_field_t *field = &object->fields[i];
        fprintf(f, "_Static_assert(offsetof(%s, %s) == %u, \"%s.%s\");\n", t, field->name, field->at, object->name,
                field->name);
        fprintf(f, "_Static_assert(_Generic(((%s *)0)->%s, %s: 1, default: 0), \"%s.%s\");\n", t, field->name,
                c_scalar(field->base), object->name, field->name);
    }
    fputc('\n', f);
}

static void pin_enum(FILE *f, const bfbs_enum_t *names)
{
    int64_t last = 0;
    for (uint32_t i = 0; i < names->val_count; i++) {
        fprintf(f, "_Static_assert((int64_t)%s%s == %" PRId64 ", \"%s.%s\");\n", names->c_prefix, names->vals[i].name,
                names->vals[i].value, names->name, names->vals[i].name);
        last = names->vals[i].value > last ? names->vals[i].value : last;
    }
    if (names->c_count != NULL) {
        fprintf(f, "_Static_assert((int64_t)%s == %" PRId64 ", \"%s: as many as in C\");\n", names->c_count, last + 1,
                names->name);
    }
    fputc('\n', f);
}

static void describe_enum(FILE *f, const bfbs_schema_t *schema, const bfbs_enum_t *names)
{
    char x[192];
    char of[192];
    prefixed(schema, names->name, x);
    fprintf(f, "static const fbs_enum_val_t %s_vals[] = {\n", x);
    for (uint32_t i = 0; i < names->val_count; i++) {
        fprintf(f, "    {.name = \"%s\", .value = %" PRId64, names->vals[i].name, names->vals[i].value);
        if (names->vals[i].object >= 0) {
            prefixed(schema, schema->objects[names->vals[i].object].name, of);
            fprintf(f, ", .object = &%s_object", of);
        }
        fputs("},\n", f);
    }
    fprintf(
        f, "};\nconst fbs_enum_t %s_names = {\n    .name = \"%s\", .bit_flags = %s, .count = %u, .vals = %s_vals};\n\n",
        x, names->name, names->bit_flags ? "true" : "false", names->val_count, x);
}

static void describe_field(const ctx_t *c, const bfbs_field_t *field)
{
    char x[192];
    fprintf(c->f, "    {.name = \"%s\", .base = %s, .at = %u", field->name, base_name(field->base), field->at);
    if (!c->object->is_struct) {
        fprintf(c->f, ", .place = %u", field->place);
    }
    if (field->base == FBS_VECTOR) {
        fprintf(c->f, ", .element = %s", base_name(field->element));
    }
    if (field->object >= 0) {
        prefixed(c->schema, object_of(c, field)->name, x);
        fprintf(c->f, ", .object = &%s_object", x);
    }
    if (field->names >= 0) {
        prefixed(c->schema, c->schema->enums[field->names].name, x);
        fprintf(c->f, ", .names = &%s_names", x);
    }
    if (field->fallback == INT64_MIN) {
        fputs(", .fallback = INT64_MIN", c->f);
    } else if (field->fallback != 0) {
        fprintf(c->f, ", .fallback = %" PRId64, field->fallback);
    }
    fprintf(c->f, "%s},\n", field->required ? ", .required = true" : "");
}

static void describe_object(const ctx_t *c)
{
    uint32_t count = 0;
    fprintf(c->f, "static const fbs_field_t %s_fields[] = {\n", c->x);
    for (uint32_t i = 0; i < c->object->field_count; i++) {
        if (!c->object->fields[i].deprecated) {
            describe_field(c, &c->object->fields[i]);
            count++;
        }
    }
    fputs("};\n", c->f);
    if (c->object->hot) {
        const bfbs_field_t *tail = tail_of(c->object);
        fprintf(c->f,
                "static const fbs_hot_t %s_hot = {\n    .head = %s_head, .head_bytes = %u, .tail_at = %u, "
                ".tail_el_bytes = %u, .fixed_bytes = %u};\n",
                c->x, c->x, table_at(c->object) + 4, tail == NULL ? 0 : table_at(c->object) + tail->place,
                tail == NULL ? 0 : object_of(c, tail)->bytes, fixed_bytes(c->object));
    }
    fprintf(c->f, "const fbs_object_t %s_object = {\n    .name = \"%s\", .fields = %s_fields, .field_count = %u,\n",
            c->x, c->object->name, c->x, count);
    if (c->object->is_struct) {
        fprintf(c->f, "    .bytes = %u, .align = %u, .is_struct = true", c->object->bytes, c->object->align);
    } else {
        fprintf(c->f, "    .bytes = %u, .align = 4, .vtable_bytes = %u", c->object->bytes, c->object->vtable_bytes);
    }
    if (c->object->hot) {
        fprintf(c->f, ", .hot = &%s_hot", c->x);
    }
    if (c->schema->ident != NULL && c->object == &c->schema->objects[c->schema->root]) {
        fprintf(c->f, ", .ident = \"%s\"", c->schema->ident);
    }
    fputs("};\n\n", c->f);
}

void emit_source(FILE *f, const bfbs_schema_t *schema)
{
    fprintf(f, "/* %s_fbs: descriptors, and the proof that C and schema agree. Made by fbsgen: do not edit. */\n",
            schema->ns);
    fprintf(f, "#include \"%s_fbs.h\"\n\n", schema->ns);
    for (uint32_t i = 0; i < schema->object_count; i++) {
        if (schema->objects[i].is_struct) {
            pin_struct(f, &schema->objects[i]);
        }
    }
    for (uint32_t i = 0; i < schema->enum_count; i++) {
        pin_enum(f, &schema->enums[i]);
    }
    for (uint32_t i = 0; i < schema->enum_count; i++) {
        describe_enum(f, schema, &schema->enums[i]);
    }
    for (uint32_t i = 0; i < schema->object_count; i++) {
        const ctx_t c = ctx_of(f, schema, &schema->objects[i]);
        describe_object(&c);
    }
}
