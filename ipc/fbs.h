/* fbs: FlatBuffers for C: what the generated code (hwal_fbs.h) stands on. Readers that follow a vtable, a verifier, a
 * builder that writes forwards. The schema reaches them as constant descriptors that ipc/gen makes from hwal.fbs.
 *
 *   buffer   | root u32 | (identifier) | vtable | table | what the table's words point to ... |
 *   vtable   | its bytes u16 | the table's bytes u16 | offset of field 0 u16 | of field 1 | ...     0 = absent
 *   table    | back to its vtable i32 | inline: scalars, structs, forward words u32 to vectors, strings, tables |
 *   vector   | count u32 | elements |         string   | bytes u32 | text | 0 |
 *
 * A hot table (attribute `hot`: inline structs, at most one tail vector) is always written as
 *
 *   0         4        12 - vtable    12            16                  16 + structs     + 4           + 8
 *   | root=12 | zeros  | vtable       | soffset     | body, structs ... | tail word = 4  | count       | elements ...
 *   \______________ head: constant bytes ___________/
 *
 * (at most two vtable entries; with more of them the head grows by 8), so a reader compares the head and the tail word
 * with constants and then knows where everything lies; any other conforming buffer is read by its vtable. Our builder
 * places fields by the same rule: what it writes with all fields present is the template, byte for byte.
 *
 * Owner    everything is the caller's; there is no state, no allocation, no lock. Any thread.
 * Buffers  start at an address that is a multiple of 8; little endian; at most FBS_BUFFER_MAX bytes.
 * Trust    fbs_verify once on every buffer that crosses a process or trust border; the readers then stay inside it.
 *          Unverified bytes must not be read. A broadcast slot is copied first: verify what cannot change any more.
 * Evolution an absent field reads as its default, an unknown field is not looked at, an unknown union type is legal (a
 *          newer writer's) and reads as no value, an unknown enum value is a number.
 * Errors   ERR_PARSE with a sentence naming table and field; ERR_LIMIT (depth, tables, length); ERR_ARG (alignment);
 *          ERR_FULL from the builder: the answer that the buffer is too small.
 * Source   FlatBuffers internals, https://flatbuffers.dev/internals (read 2025-11), and what flatc 2.0.8 writes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/types/err.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structs are read where they lie");

#define FBS_BUFFER_MAX 0x7fffffffu
#define FBS_STRUCT_MAX 512u
#define FBS_DEPTH_MAX 8u    /* tables within tables, of what crosses a border    */
#define FBS_TABLES_MAX 256u /* tables of one buffer, counted as often as reached */

/* ---- descriptors: constant, generated ---------------------------------------------------------------------------- */
typedef enum fbs_base { /* numbers of reflection.fbs */
                        FBS_NONE   = 0,
                        FBS_UTYPE  = 1,
                        FBS_BOOL   = 2,
                        FBS_BYTE   = 3,
                        FBS_UBYTE  = 4,
                        FBS_SHORT  = 5,
                        FBS_USHORT = 6,
                        FBS_INT    = 7,
                        FBS_UINT   = 8,
                        FBS_LONG   = 9,
                        FBS_ULONG  = 10,
                        FBS_STRING = 13,
                        FBS_VECTOR = 14,
                        FBS_OBJ    = 15,
                        FBS_UNION  = 16
} fbs_base_t;

typedef struct fbs_object fbs_object_t;

typedef struct fbs_enum_val {
    const char         *name;
    int64_t             value;  /* the bits, for ulong too */
    const fbs_object_t *object; /* of a union's member */
} fbs_enum_val_t;

typedef struct fbs_enum {
    const char           *name;
    bool                  bit_flags;
    uint32_t              count;
    const fbs_enum_val_t *vals;
} fbs_enum_t;

typedef struct fbs_field { /* in order of id; the type of a union is the field just before it */
    const char         *name;
    const fbs_object_t *object;   /* OBJ, and VECTOR of OBJ            */
    const fbs_enum_t   *names;    /* enum scalars, UTYPE and UNION     */
    int64_t             fallback; /* value of an absent scalar         */
    uint16_t            at;       /* in a table: bytes into the vtable (4 + 2 * id); in a struct: bytes into it */
    uint16_t            place;    /* in a table: where our writers put it, bytes from the table's start */
    uint8_t             base;     /* fbs_base_t */
    uint8_t             element;  /* fbs_base_t of a VECTOR */
    bool                required;
} fbs_field_t;

typedef struct fbs_hot { /* the template of a hot table */
    const uint8_t *head;
    uint32_t       head_bytes; /* a multiple of 8 */
    uint32_t       tail_at;    /* of the tail word in the buffer; 0 = no tail */
    uint32_t       tail_el_bytes;
    uint32_t       fixed_bytes; /* the whole buffer with an empty tail */
} fbs_hot_t;

struct fbs_object {
    const char        *name;
    const fbs_field_t *fields;
    uint32_t           field_count;
    uint32_t           bytes; /* struct: its size; table: inline bytes as our writers place them */
    uint16_t           align;
    uint16_t           vtable_bytes;
    bool               is_struct;
    const char        *ident; /* 4 letters of a file's root, or NULL */
    const fbs_hot_t   *hot;   /* or NULL */
};

/* ---- reading: only verified buffers ------------------------------------------------------------------------------ */
static inline uint16_t fbs_u16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t fbs_u32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* fbs_ref: where a forward word points. fbs_root: the root table of a buffer. */
static inline const void *fbs_ref(const void *word)
{
    return (const uint8_t *)word + fbs_u32(word);
}
static inline const void *fbs_root(const void *buf)
{
    return fbs_ref(buf);
}

/* fbs_slot: the inline bytes of a field (at: its place in the vtable), NULL when absent. */
static inline const void *fbs_slot(const void *table, uint32_t at)
{
    const uint8_t *vtable = (const uint8_t *)table - (int32_t)fbs_u32(table);
    const uint16_t place  = at < fbs_u16(vtable) ? fbs_u16(vtable + at) : 0;
    return place == 0 ? NULL : (const uint8_t *)table + place;
}

/* fbs_has_head: does the buffer begin with the constant bytes of a template? Reads hot->head_bytes of it. By words: a
 * call of memcmp with a length that is not constant costs more than the compare. */
static inline bool fbs_has_head(const fbs_hot_t *hot, const void *buf)
{
    uint64_t differ = 0;
    for (uint32_t i = 0; i < hot->head_bytes; i += 8) {
        uint64_t is, want;
        memcpy(&is, (const uint8_t *)buf + i, sizeof is);
        memcpy(&want, hot->head + i, sizeof want);
        differ |= is ^ want;
    }
    return differ == 0;
}

/* fbs_vector: elements of a vector field and their count; NULL and 0 when absent. fbs_string: the same for text, which
 * ends with a zero byte that is not counted. fbs_table: a table field, NULL when absent. */
static inline const void *fbs_vector(const void *table, uint32_t at, uint32_t *count)
{
    const void *word = fbs_slot(table, at);
    if (word == NULL) {
        *count = 0;
        return NULL;
    }
    const uint8_t *vector = fbs_ref(word);
    *count                = fbs_u32(vector);
    return vector + 4;
}

static inline const char *fbs_string(const void *table, uint32_t at, uint32_t *len)
{
    return fbs_vector(table, at, len);
}

static inline const void *fbs_table(const void *table, uint32_t at)
{
    const void *word = fbs_slot(table, at);
    return word == NULL ? NULL : fbs_ref(word);
}

/* fbs_scalar_bytes: 1, 2, 4 or 8; 0 when base is no scalar. fbs_load: a scalar's bits, sign extended. */
uint32_t fbs_scalar_bytes(uint8_t base);
int64_t  fbs_load(uint8_t base, const void *p);

/* ---- verifying --------------------------------------------------------------------------------------------------- */
/* fbs_verify: may every reader of root be used on buf[0..len)? Bounds, alignment, vtables, vectors, terminators of
 * strings, required fields, union types against their values, depth and number of tables.
 *   Returns  ERR_OK; ERR_PARSE, ERR_LIMIT, ERR_ARG (buf is not 8-aligned) with a sentence
 *   Cost     a template: one compare of constants, a few ns; else O(fields + elements of reference vectors)
 * fbs_verify_limits: the same with limits of one's own (the generator reads whole schemas). */
err_t fbs_verify(const fbs_object_t *root, const void *buf, size_t len);
err_t fbs_verify_limits(const fbs_object_t *root, const void *buf, size_t len, uint32_t depth_max, uint32_t tables_max);

/* ---- building (cold): forwards into a fixed buffer --------------------------------------------------------------- */
typedef struct fbs_builder {
    uint8_t *buf;
    uint32_t cap;
    uint32_t len;
    err_t    err; /* the first failure; everything after it does nothing */
} fbs_builder_t;

/* fbs_begin: start a buffer (buf 8-aligned) whose root is a table of root; returns the table's position, by which the
 * following calls know it. fbs_end: ERR_OK and *len, or ERR_FULL: the buffer is too small, its bytes mean nothing. */
uint32_t fbs_begin(fbs_builder_t *b, const fbs_object_t *root, void *buf, size_t cap);
err_t    fbs_end(const fbs_builder_t *b, size_t *len);

/* fbs_put: a scalar or a struct from *value. fbs_put_string: len bytes of text (may hold zeros). fbs_put_vector: count
 * scalars or structs, copied from elements. Each field of a table once. Cost: a copy. */
void fbs_put(fbs_builder_t *b, uint32_t table, const fbs_field_t *field, const void *value);
void fbs_put_string(fbs_builder_t *b, uint32_t table, const fbs_field_t *field, const char *text, size_t len);
void fbs_put_vector(fbs_builder_t *b, uint32_t table, const fbs_field_t *field, const void *elements, size_t count);

/* fbs_put_table: a new table in a table field or, with the type, in a union field; returns its position.
 * fbs_put_buffer: the same from a finished, verified buffer, copied whole: a message from a ring goes into a Record. */
uint32_t fbs_put_table(fbs_builder_t *b, uint32_t table, const fbs_field_t *field);
uint32_t fbs_put_union(fbs_builder_t *b, uint32_t table, const fbs_field_t *field, uint8_t type);
void     fbs_put_buffer(fbs_builder_t *b, uint32_t table, const fbs_field_t *field, uint8_t type, const void *buf,
                        size_t len);

/* fbs_put_space: a vector of count elements still to be filled: fbs_space_set copies scalar or struct i into it,
 * fbs_space_string and fbs_space_table make element i of a vector of strings or tables. Returns a position, or 0. */
uint32_t fbs_put_space(fbs_builder_t *b, uint32_t table, const fbs_field_t *field, size_t count);
void     fbs_space_set(fbs_builder_t *b, uint32_t vector, const fbs_field_t *field, uint32_t i, const void *value);
void     fbs_space_string(fbs_builder_t *b, uint32_t vector, uint32_t i, const char *text, size_t len);
uint32_t fbs_space_table(fbs_builder_t *b, uint32_t vector, uint32_t i, const fbs_object_t *object);

/* fbs_union_object: the table of a union type; NULL for 0 and for types of a newer schema. */
const fbs_object_t *fbs_union_object(const fbs_enum_t *names, uint8_t type);
