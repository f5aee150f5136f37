/* table: rows of JSON objects as a table for people, as CSV, or as JSON. A view is built once, as JSON, and then
 * printed in the form that was asked for, so the three cannot say different things.
 *
 * Colours  blue and orange (told apart by every kind of colour blindness), and never alone: a sign or a word says the
 *          same. Only when the caller says so (command_colour).
 * Ids      64-bit ids are unsigned and jansson's integers are not: integers under a key that ends in _id, _hi or _lo
 *          are stored by their bits and printed unsigned, here and only here. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_BOLD "\033[1m"
#define TABLE_BLUE "\033[94m"
#define TABLE_ORANGE "\033[33m"
#define TABLE_PLAIN "\033[0m"

typedef enum column_kind {
    COLUMN_TEXT = 0, /* left */
    COLUMN_NUMBER,   /* right */
    COLUMN_SIGNED,   /* right; a gain with its + and in blue, a loss in orange */
    COLUMN_STATE     /* left; orange unless it is one of the good words (table_good) */
} column_kind_t;

typedef struct column {
    const char   *key; /* member of the row, and the head in CSV */
    const char   *title;
    column_kind_t kind;
} column_t;

/* table_text: head and rows, as wide as they need, indented by two. table_csv: RFC 4180 with a head line.
 * table_json: one line and its end; keys as inserted. table_cell: a value as text into out. */
void table_text(FILE *to, const column_t *columns, size_t count, const json_t *rows, bool colour);
void table_csv(FILE *to, const column_t *columns, size_t count, const json_t *rows);
void table_json(FILE *to, const json_t *value);
void table_cell(const char *key, const json_t *value, char *out, size_t cap);

/* table_title: a bold line above a table, a line of air before it. */
void table_title(FILE *to, const char *title, bool colour);

/* table_good: is this word of a state one that asks for nobody's attention? */
bool table_good(const char *word);

/* table_u64: a count or an id as JSON, by its bits. */
static inline json_t *table_u64(uint64_t value)
{
    return json_integer((json_int_t)value);
}
