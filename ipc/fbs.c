#include "ipc/fbs.h"

#include <assert.h>

uint32_t fbs_scalar_bytes(uint8_t base)
{
    static const uint8_t bytes[] = {[FBS_UTYPE] = 1,  [FBS_BOOL] = 1, [FBS_BYTE] = 1, [FBS_UBYTE] = 1, [FBS_SHORT] = 2,
                                    [FBS_USHORT] = 2, [FBS_INT] = 4,  [FBS_UINT] = 4, [FBS_LONG] = 8,  [FBS_ULONG] = 8};
    return base < sizeof bytes ? bytes[base] : 0;
}

int64_t fbs_load(uint8_t base, const void *p)
{
    uint64_t bits = 0;
    memcpy(&bits, p, fbs_scalar_bytes(base));
    switch (base) {
    case FBS_BYTE: return (int8_t)bits;
    case FBS_SHORT: return (int16_t)bits;
    case FBS_INT: return (int32_t)bits;
    default: return (int64_t)bits;
    }
}

const fbs_object_t *fbs_union_object(const fbs_enum_t *names, uint8_t type)
{
    if (type < names->count && names->vals[type].value == type) {
        return names->vals[type].object; /* a union without gaps, as Message is */
    }
    for (uint32_t i = 0; i < names->count; i++) {
        if (names->vals[i].value == type) {
            return names->vals[i].object;
        }
    }
    return NULL;
}

/* ---- verifying ---------------------------------------------------------------------------------------------------
 * Positions are 64 bits and lengths at most 31, so no sum here can wrap; every read is preceded by its bound. Forward
 * words only point forwards, so there are no cycles; many words to one table are what tables_max is for. */
typedef struct check {
    const uint8_t *buf;
    uint64_t       len;
    uint32_t       depth;
    uint32_t       depth_max;
    uint32_t       tables;
    uint32_t       tables_max;
} check_t;

static err_t bad(const fbs_object_t *object, const fbs_field_t *field, const char *what, uint64_t value, uint64_t limit)
{
    return err_set(ERR_PARSE, "buffer of %s%s%s: %s: %llu, limit %llu", object->name, field ? "." : "",
                   field ? field->name : "", what, (unsigned long long)value, (unsigned long long)limit);
}

/* Where the word at `at` points: at least a length word must be there, 4-aligned. 0 (where nothing can point) = bad. */
static uint64_t check_ref(const check_t *c, const fbs_object_t *object, const fbs_field_t *field, uint64_t at)
{
    const uint64_t word = fbs_u32(c->buf + at);
    const uint64_t to   = at + word;
    if (word == 0) {
        bad(object, field, "offset points at itself", at, c->len);
        return 0;
    }
    if (to + 4 > c->len) {
        bad(object, field, "offset leaves the buffer, to", to + 4, c->len);
        return 0;
    }
    if (to % 4 != 0) {
        bad(object, field, "offset to an unaligned place", to, 4);
        return 0;
    }
    return to;
}

static err_t check_vector(const check_t *c, const fbs_object_t *object, const fbs_field_t *field, uint64_t at,
                          uint64_t el_bytes, uint64_t el_align, uint64_t *count, uint64_t *els)
{
    const uint64_t vector = check_ref(c, object, field, at);
    if (vector == 0) {
        return ERR_PARSE;
    }
    *count = fbs_u32(c->buf + vector);
    *els   = vector + 4;
    if (*count > (c->len - *els) / el_bytes) {
        return bad(object, field, "elements", *count, (c->len - *els) / el_bytes);
    }
    if (*count != 0 && *els % el_align != 0) {
        return bad(object, field, "elements at an unaligned place", *els, el_align);
    }
    return ERR_OK;
}

static err_t check_string(const check_t *c, const fbs_object_t *object, const fbs_field_t *field, uint64_t at)
{
    uint64_t    count = 0;
    uint64_t    els   = 0;
    const err_t err   = check_vector(c, object, field, at, 1, 1, &count, &els);
    if (err != ERR_OK) {
        return err;
    }
    if (els + count >= c->len || c->buf[els + count] != 0) {
        return bad(object, field, "string without its end, bytes", count, c->len - els);
    }
    return ERR_OK;
}

static err_t check_table(check_t *c, const fbs_object_t *object, uint64_t at);

static err_t check_table_ref(check_t *c, const fbs_object_t *object, const fbs_field_t *field,
                             const fbs_object_t *child, uint64_t at)
{
    const uint64_t to = check_ref(c, object, field, at);
    return to == 0 ? ERR_PARSE : check_table(c, child, to);
}

static err_t check_elements(check_t *c, const fbs_object_t *object, const fbs_field_t *field, uint64_t at)
{
    const bool     is_struct = field->element == FBS_OBJ && field->object->is_struct;
    const bool     is_ref    = !is_struct && (field->element == FBS_OBJ || field->element == FBS_STRING);
    const uint64_t el_bytes  = is_struct ? field->object->bytes : is_ref ? 4 : fbs_scalar_bytes(field->element);
    const uint64_t el_align  = is_struct ? field->object->align : el_bytes;
    uint64_t       count     = 0;
    uint64_t       els       = 0;
    err_t          err       = check_vector(c, object, field, at, el_bytes, el_align, &count, &els);
    if (!is_ref) {
        return err;
    }
    for (uint64_t i = 0; err == ERR_OK && i < count; i++) {
        err = field->element == FBS_STRING ? check_string(c, object, field, els + 4 * i)
                                           : check_table_ref(c, object, field, field->object, els + 4 * i);
    }
    return err;
}

/* An absent type is NONE: then the value must be absent as well. A type that we do not know is a newer writer's. */
static err_t check_union(check_t *c, const fbs_object_t *object, const fbs_field_t *field, uint64_t table, uint64_t at)
{
    const uint8_t *type_at = fbs_slot(c->buf + table, field[-1].at);
    const uint8_t  type    = type_at == NULL ? 0 : *type_at;
    if ((type == 0) != (at == 0)) {
        return bad(object, field, at == 0 ? "type without a value" : "value without a type", type, 0);
    }
    if (at == 0) {
        return ERR_OK;
    }
    const fbs_object_t *child = fbs_union_object(field->names, type);
    if (child != NULL) {
        return check_table_ref(c, object, field, child, at);
    }
    return check_ref(c, object, field, at) == 0 ? ERR_PARSE : ERR_OK;
}

static err_t check_field(check_t *c, const fbs_object_t *object, const fbs_field_t *field, uint64_t table,
                         uint32_t vtable_bytes, uint32_t table_bytes)
{
    const uint8_t *vtable = c->buf + table - (int32_t)fbs_u32(c->buf + table);
    const uint32_t place  = field->at < vtable_bytes ? fbs_u16(vtable + field->at) : 0;
    if (place == 0) {
        if (field->required) {
            return bad(object, field, "required field is absent", 0, 1);
        }
        return field->base == FBS_UNION ? check_union(c, object, field, table, 0) : ERR_OK;
    }
    const bool     is_struct = field->base == FBS_OBJ && field->object->is_struct;
    const uint32_t scalar    = fbs_scalar_bytes(field->base);
    const uint32_t bytes     = is_struct ? field->object->bytes : scalar != 0 ? scalar : 4;
    const uint32_t align     = is_struct ? field->object->align : bytes;
    if (place < 4 || place + bytes > table_bytes) {
        return bad(object, field, "outside its table, to", place + bytes, table_bytes);
    }
    if ((table + place) % align != 0) {
        return bad(object, field, "unaligned at", table + place, align);
    }
    if (is_struct || scalar != 0) {
        return ERR_OK;
    }
    switch (field->base) {
    case FBS_STRING: return check_string(c, object, field, table + place);
    case FBS_VECTOR: return check_elements(c, object, field, table + place);
    case FBS_UNION: return check_union(c, object, field, table, table + place);
    default: return check_table_ref(c, object, field, field->object, table + place);
    }
}

/* Recursive, because tables are; depth_max bounds it. */
static err_t check_table(check_t *c, const fbs_object_t *object, uint64_t at)
{
    if (c->depth == c->depth_max) {
        return err_set(ERR_LIMIT, "buffer of %s: tables nested deeper than %u", object->name, c->depth_max);
    }
    if (c->tables == c->tables_max) {
        return err_set(ERR_LIMIT, "buffer of %s: more than %u tables", object->name, c->tables_max);
    }
    c->tables++;
    const int64_t vtable = (int64_t)at - (int32_t)fbs_u32(c->buf + at);
    if (vtable < 0 || (uint64_t)vtable + 4 > c->len || vtable % 2 != 0) {
        return bad(object, NULL, "vtable outside the buffer or unaligned, at", (uint64_t)vtable, c->len);
    }
    const uint32_t vtable_bytes = fbs_u16(c->buf + vtable);
    const uint32_t table_bytes  = fbs_u16(c->buf + vtable + 2);
    if (vtable_bytes < 4 || vtable_bytes % 2 != 0 || (uint64_t)vtable + vtable_bytes > c->len) {
        return bad(object, NULL, "bytes of vtable", vtable_bytes, c->len);
    }
    if (table_bytes < 4 || at + table_bytes > c->len) {
        return bad(object, NULL, "bytes of table", table_bytes, c->len - at);
    }
    c->depth++;
    for (uint32_t i = 0; i < object->field_count; i++) {
        const err_t err = check_field(c, object, &object->fields[i], at, vtable_bytes, table_bytes);
        if (err != ERR_OK) {
            return err;
        }
    }
    c->depth--;
    return ERR_OK;
}

static bool is_template(const fbs_hot_t *hot, const uint8_t *buf, size_t len)
{
    if (len < hot->fixed_bytes || !fbs_has_head(hot, buf)) {
        return false;
    }
    if (hot->tail_at == 0) {
        return true;
    }
    return fbs_u32(buf + hot->tail_at) == 4 &&
           fbs_u32(buf + hot->tail_at + 4) <= (len - hot->fixed_bytes) / hot->tail_el_bytes;
}

err_t fbs_verify_limits(const fbs_object_t *root, const void *buf, size_t len, uint32_t depth_max, uint32_t tables_max)
{
    if ((uintptr_t)buf % 8 != 0) {
        return err_set(ERR_ARG, "buffer of %s: address %p is not a multiple of 8", root->name, buf);
    }
    if (len > FBS_BUFFER_MAX) {
        return err_set(ERR_LIMIT, "buffer of %s: %zu bytes, limit %u", root->name, len, FBS_BUFFER_MAX);
    }
    if (root->hot != NULL && is_template(root->hot, buf, len)) {
        return ERR_OK;
    }
    check_t c = {.buf = buf, .len = len, .depth_max = depth_max, .tables_max = tables_max};
    if (len < 8) {
        return bad(root, NULL, "too short, bytes", len, 8);
    }
    const uint64_t at = check_ref(&c, root, NULL, 0);
    return at == 0 ? ERR_PARSE : check_table(&c, root, at);
}

err_t fbs_verify(const fbs_object_t *root, const void *buf, size_t len)
{
    return fbs_verify_limits(root, buf, len, FBS_DEPTH_MAX, FBS_TABLES_MAX);
}

/* ---- building ---------------------------------------------------------------------------------------------------- */
/* take: `bytes` zeroed bytes at the next place that is `phase` beyond a multiple of align; 0 when there is no room (no
 * object ever lies at 0: the root word does). */
static uint32_t take(fbs_builder_t *b, uint64_t bytes, uint32_t align, uint32_t phase)
{
    if (b->err != ERR_OK) {
        return 0;
    }
    const uint32_t pad = (phase + align - b->len % align) % align;
    if (bytes + pad > b->cap - b->len) {
        b->err = ERR_FULL;
        return 0;
    }
    const uint32_t at = b->len + pad;
    memset(b->buf + b->len, 0, pad + bytes);
    b->len = (uint32_t)(at + bytes);
    return at;
}

static void set_u16(fbs_builder_t *b, uint32_t at, uint32_t value)
{
    const uint16_t v = (uint16_t)value;
    memcpy(b->buf + at, &v, sizeof v);
}

static void set_u32(fbs_builder_t *b, uint32_t at, uint32_t value)
{
    memcpy(b->buf + at, &value, sizeof value);
}
static void set_ref(fbs_builder_t *b, uint32_t at, uint32_t to)
{
    set_u32(b, at, to - at);
}

/* The vtable ends where the table begins, and the table begins at 8k + 4: behind its first word structs are aligned. */
static uint32_t table_new(fbs_builder_t *b, const fbs_object_t *object)
{
    const uint32_t vtable = take(b, object->vtable_bytes + object->bytes, 8, (12u - object->vtable_bytes % 8u) % 8u);
    if (vtable == 0) {
        return 0;
    }
    const uint32_t table = vtable + object->vtable_bytes;
    set_u16(b, vtable, object->vtable_bytes);
    set_u16(b, vtable + 2, object->bytes);
    set_u32(b, table, object->vtable_bytes);
    return table;
}

/* enter: declare a field present; its place in the buffer. */
static uint32_t enter(fbs_builder_t *b, uint32_t table, const fbs_field_t *field)
{
    const uint32_t entry = table - fbs_u32(b->buf + table) + field->at;
    assert(fbs_u16(b->buf + entry) == 0); /* each field once */
    set_u16(b, entry, field->place);
    return table + field->place;
}

uint32_t fbs_begin(fbs_builder_t *b, const fbs_object_t *root, void *buf, size_t cap)
{
    assert((uintptr_t)buf % 8 == 0);
    *b = (fbs_builder_t){.buf = buf, .cap = cap < FBS_BUFFER_MAX ? (uint32_t)cap : FBS_BUFFER_MAX, .err = ERR_OK};
    take(b, root->ident != NULL ? 8 : 4, 8, 0);
    if (b->err != ERR_OK) {
        return 0;
    }
    if (root->ident != NULL) {
        memcpy(b->buf + 4, root->ident, 4);
    }
    const uint32_t table = table_new(b, root);
    if (table != 0) {
        set_ref(b, 0, table);
    }
    return table;
}

err_t fbs_end(const fbs_builder_t *b, size_t *len)
{
    *len = b->err == ERR_OK ? b->len : 0;
    return b->err;
}

void fbs_put(fbs_builder_t *b, uint32_t table, const fbs_field_t *field, const void *value)
{
    if (b->err == ERR_OK) {
        const uint32_t bytes = field->base == FBS_OBJ ? field->object->bytes : fbs_scalar_bytes(field->base);
        memcpy(b->buf + enter(b, table, field), value, bytes);
    }
}

static uint32_t string_new(fbs_builder_t *b, const char *text, size_t len)
{
    const uint32_t at = take(b, 4 + (uint64_t)len + 1, 4, 0);
    if (at != 0) {
        set_u32(b, at, (uint32_t)len);
        memcpy(b->buf + at + 4, text, len);
    }
    return at;
}

void fbs_put_string(fbs_builder_t *b, uint32_t table, const fbs_field_t *field, const char *text, size_t len)
{
    const uint32_t at = string_new(b, text, len);
    if (at != 0) {
        set_ref(b, enter(b, table, field), at);
    }
}

static uint32_t element_bytes(const fbs_field_t *field)
{
    const uint32_t scalar = fbs_scalar_bytes(field->element);
    return field->element == FBS_OBJ && field->object->is_struct ? field->object->bytes : scalar != 0 ? scalar : 4;
}

uint32_t fbs_put_space(fbs_builder_t *b, uint32_t table, const fbs_field_t *field, size_t count)
{
    const uint32_t bytes = element_bytes(field);
    const uint32_t own   = field->element == FBS_OBJ && field->object->is_struct ? field->object->align : bytes;
    const uint32_t align = own < 4 ? 4 : own;
    if (b->err == ERR_OK && count > FBS_BUFFER_MAX / bytes) {
        b->err = ERR_FULL;
    }
    const uint32_t at = take(b, 4 + (uint64_t)count * bytes, align, align - 4);
    if (at != 0) {
        set_u32(b, at, (uint32_t)count);
        set_ref(b, enter(b, table, field), at);
    }
    return at;
}

void fbs_put_vector(fbs_builder_t *b, uint32_t table, const fbs_field_t *field, const void *elements, size_t count)
{
    const uint32_t at = fbs_put_space(b, table, field, count);
    if (at != 0 && count != 0) {
        memcpy(b->buf + at + 4, elements, count * element_bytes(field));
    }
}

void fbs_space_set(fbs_builder_t *b, uint32_t vector, const fbs_field_t *field, uint32_t i, const void *value)
{
    if (b->err == ERR_OK) {
        const uint32_t bytes = element_bytes(field);
        memcpy(b->buf + vector + 4 + (size_t)i * bytes, value, bytes);
    }
}

void fbs_space_string(fbs_builder_t *b, uint32_t vector, uint32_t i, const char *text, size_t len)
{
    const uint32_t at = string_new(b, text, len);
    if (at != 0) {
        set_ref(b, vector + 4 + 4 * i, at);
    }
}

uint32_t fbs_space_table(fbs_builder_t *b, uint32_t vector, uint32_t i, const fbs_object_t *object)
{
    const uint32_t at = table_new(b, object);
    if (at != 0) {
        set_ref(b, vector + 4 + 4 * i, at);
    }
    return at;
}

uint32_t fbs_put_table(fbs_builder_t *b, uint32_t table, const fbs_field_t *field)
{
    const uint32_t at = table_new(b, field->object);
    if (at != 0) {
        set_ref(b, enter(b, table, field), at);
    }
    return at;
}

uint32_t fbs_put_union(fbs_builder_t *b, uint32_t table, const fbs_field_t *field, uint8_t type)
{
    const fbs_object_t *object = fbs_union_object(field->names, type);
    assert(object != NULL);
    const uint32_t at = table_new(b, object);
    if (at != 0) {
        fbs_put(b, table, field - 1, &type);
        set_ref(b, enter(b, table, field), at);
    }
    return at;
}

/* Offsets within a buffer are relative, so it may be moved whole; 8-aligned, its structs stay aligned. */
void fbs_put_buffer(fbs_builder_t *b, uint32_t table, const fbs_field_t *field, uint8_t type, const void *buf,
                    size_t len)
{
    assert(len >= 8 && type != 0);
    const uint32_t at = take(b, len, 8, 0);
    if (at != 0) {
        memcpy(b->buf + at, buf, len);
        fbs_put(b, table, field - 1, &type);
        set_ref(b, enter(b, table, field), at + fbs_u32(buf));
    }
}
