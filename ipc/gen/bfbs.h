/* bfbs: a binary schema (`flatc --binary --schema --bfbs-comments --bfbs-builtins`) as a checked model in memory.
 *
 * A .bfbs file is itself a FlatBuffer, of the schema reflection.fbs; it is verified with our own verifier before a byte
 * of it is believed. What the model then promises, so that the writer of code need not look again:
 *   names are C identifiers; indexes are in range; fields stand in order of id without a hole; a struct holds scalars
 *   only, without padding, with a c_type; an enum has a c_prefix; a table's fields are of kinds that fbs.h reads; a hot
 *   table follows the rule of hot tables; everything lies in one namespace; the root table has a c_include.
 * Anything else is ERR_PARSE (not a schema) or ERR_UNSUPPORTED (a schema that we refuse) with a sentence.
 *
 * Memory   bfbs_read allocates once per list, bfbs_free gives all back; the model points into buf, which must outlive
 *          it. Out of memory ends the process: it is a build tool. */
#pragma once

#include "ipc/fbs.h"

typedef struct bfbs_doc { /* lines of a /// comment */
    const void *table;    /* the reflection table that carries them */
    uint32_t    at;       /* of its documentation field */
} bfbs_doc_t;

typedef struct bfbs_enum_val {
    const char *name;
    int64_t     value;
    int32_t     object; /* of a union's member; -1 = none */
} bfbs_enum_val_t;

typedef struct bfbs_enum {
    const char      *name; /* without the namespace */
    bool             is_union;
    bool             bit_flags;
    uint8_t          base;
    const char      *c_prefix;
    const char      *c_count; /* or NULL */
    uint32_t         val_count;
    bfbs_enum_val_t *vals;
    bfbs_doc_t       doc;
} bfbs_enum_t;

typedef struct bfbs_field {
    const char *name;
    uint8_t     base;
    uint8_t     element;
    int32_t     object; /* of OBJ and VECTOR of OBJ; -1 = none */
    int32_t     names;  /* enum of a scalar, UTYPE or UNION; -1 = none */
    uint16_t    id;
    uint16_t    at;    /* struct: byte offset; table: 4 + 2 * id */
    uint16_t    place; /* table: where our writers put it */
    int64_t     fallback;
    bool        deprecated;
    bool        required;
    bfbs_doc_t  doc;
} bfbs_field_t;

typedef struct bfbs_object {
    const char   *name;
    bool          is_struct;
    bool          hot;
    uint32_t      align;
    uint32_t      bytes;        /* struct: size; table: inline bytes as our writers place them */
    uint32_t      vtable_bytes; /* table */
    const char   *c_type;       /* struct */
    const char   *c_include;    /* root table */
    uint32_t      field_count;
    bfbs_field_t *fields; /* by id; structs by offset */
    bfbs_doc_t    doc;
} bfbs_object_t;

typedef struct bfbs_schema {
    char           ns[64];
    const char    *ident; /* 4 letters or NULL */
    uint32_t       object_count;
    bfbs_object_t *objects;
    uint32_t       enum_count;
    bfbs_enum_t   *enums;
    uint32_t       root; /* index of the root table */
} bfbs_schema_t;

/* bfbs_read: buf (8-aligned, len bytes) as a model. ERR_OK, or an error with a sentence. bfbs_free: after either. */
err_t bfbs_read(const void *buf, size_t len, bfbs_schema_t *schema);
void  bfbs_free(bfbs_schema_t *schema);

/* bfbs_doc_line: line i of a comment, NULL after the last. */
const char *bfbs_doc_line(bfbs_doc_t doc, uint32_t i);

/* bfbs_field_bytes, _align: inline bytes and alignment of a field (a forward word has 4). */
uint32_t bfbs_field_bytes(const bfbs_schema_t *schema, const bfbs_field_t *field);
uint32_t bfbs_field_align(const bfbs_schema_t *schema, const bfbs_field_t *field);
