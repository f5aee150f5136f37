#include "tools/table.h"

#include <inttypes.h>
#include <string.h>

#define CELL_BYTES 512u
#define COLUMNS_MAX 24u

static bool key_unsigned(const char *key)
{
    const size_t len = key ? strlen(key) : 0;
    return len > 3 && (strcmp(key + len - 3, "_id") == 0 || strcmp(key + len - 3, "_hi") == 0 ||
                       strcmp(key + len - 3, "_lo") == 0);
}

void table_cell(const char *key, const json_t *value, char *out, size_t cap)
{
    if (json_is_string(value)) {
        snprintf(out, cap, "%s", json_string_value(value));
    } else if (json_is_integer(value)) {
        const json_int_t n = json_integer_value(value);
        if (key_unsigned(key)) {
            snprintf(out, cap, "%" PRIu64, (uint64_t)n);
        } else {
            snprintf(out, cap, "%" PRId64, (int64_t)n);
        }
    } else if (json_is_real(value)) {
        snprintf(out, cap, "%.1f", json_real_value(value));
    } else if (json_is_boolean(value)) {
        snprintf(out, cap, "%s", json_is_true(value) ? "yes" : "no");
    } else {
        snprintf(out, cap, "-");
    }
}

/* Recursive: as deep as our own views nest, which is four. */
static void put_json(FILE *to, const char *key, const json_t *value)
{
    if (json_is_object(value)) {
        const char *name, *before = "{";
        json_t     *child;
        json_object_foreach((json_t *)(uintptr_t)value, name, child)
        {
            fprintf(to, "%s\"%s\":", before, name); /* our own names: letters, digits, dots */
            put_json(to, name, child);
            before = ",";
        }
        fputs(*before == '{' ? "{}" : "}", to);
    } else if (json_is_array(value)) {
        size_t  i;
        json_t *child;
        fputc('[', to);
        json_array_foreach(value, i, child)
        {
            fputs(i == 0 ? "" : ",", to);
            put_json(to, key, child);
        }
        fputc(']', to);
    } else if (json_is_integer(value)) {
        char text[24];
        table_cell(key, value, text, sizeof text);
        fputs(text, to);
    } else {
        json_dumpf(value, to, JSON_ENCODE_ANY);
    }
}

void table_json(FILE *to, const json_t *value)
{
    put_json(to, NULL, value);
    fputc('\n', to);
}

bool table_good(const char *word)
{
    static const char *const good[] = {"RUN", "LIVE", "RUNNING", "OK", "ok", "alive", "BOOT", "STOPPED", "HALT", "-"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (strcmp(word, good[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Columns on a screen of what is UTF-8: bytes that do not continue a character. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

/* cell: text of one place and the colour it wants; text of others is data: no control characters reach a terminal. */
static const char *cell(const column_t *column, const json_t *row, char out[CELL_BYTES])
{
    char text[CELL_BYTES - 1];
    table_cell(column->key, json_object_get(row, column->key), text, sizeof text);
    for (char *c = text; *c; c++) {
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
    }
    const bool digit = text[0] >= '0' && text[0] <= '9';
    const bool zero  = strspn(text, "0.") == strlen(text);
    snprintf(out, CELL_BYTES, "%s%s", column->kind == COLUMN_SIGNED && digit && !zero ? "+" : "", text);
    if (column->kind == COLUMN_SIGNED) {
        return *out == '+' ? TABLE_BLUE : *out == '-' && out[1] ? TABLE_ORANGE : "";
    }
    return column->kind == COLUMN_STATE && !table_good(out) ? TABLE_ORANGE : "";
}

void table_text(FILE *to, const column_t *columns, size_t count, const json_t *rows, bool colour)
{
    size_t  width[COLUMNS_MAX] = {0}, i;
    char    text[CELL_BYTES];
    json_t *row;
    for (size_t k = 0; k < count && k < COLUMNS_MAX; k++) {
        width[k] = width_of(columns[k].title);
        json_array_foreach(rows, i, row)
        {
            cell(&columns[k], row, text);
            width[k] = width_of(text) > width[k] ? width_of(text) : width[k];
        }
    }
    for (size_t line = 0; line <= json_array_size(rows); line++) {
        fputc(' ', to);
        for (size_t k = 0; k < count && k < COLUMNS_MAX; k++) {
            const bool  head = line == 0, left = columns[k].kind == COLUMN_TEXT || columns[k].kind == COLUMN_STATE;
            const char *paint = "";
            if (head) {
                snprintf(text, sizeof text, "%s", columns[k].title);
                paint = TABLE_BOLD;
            } else {
                paint = cell(&columns[k], json_array_get(rows, line - 1), text);
            }
            const size_t pad  = width[k] - width_of(text);
            const bool   last = k + 1 == count;
            fprintf(to, " %*s%s%s%s%*s", left ? 0 : (int)pad, "", colour ? paint : "", text,
                    colour && *paint ? TABLE_PLAIN : "", left && !last ? (int)pad : 0, "");
        }
        fputc('\n', to);
    }
}

void table_csv(FILE *to, const column_t *columns, size_t count, const json_t *rows)
{
    for (size_t line = 0; line <= json_array_size(rows); line++) {
        for (size_t k = 0; k < count; k++) {
            char          text[CELL_BYTES];
            const json_t *value = line == 0 ? NULL : json_object_get(json_array_get(rows, line - 1), columns[k].key);
            if (line == 0) {
                snprintf(text, sizeof text, "%s", columns[k].key);
            } else if (value == NULL || json_is_null(value)) {
                text[0] = '\0';
            } else {
                table_cell(columns[k].key, value, text, sizeof text);
            }
            fputs(k == 0 ? "" : ",", to);
            if (strpbrk(text, ",\"\r\n") == NULL) {
                fputs(text, to);
                continue;
            }
            fputc('"', to);
            for (const char *c = text; *c; c++) {
                fputs(*c == '"' ? "\"" : "", to);
                fputc(*c, to);
            }
            fputc('"', to);
        }
        fputs("\r\n", to);
    }
}

void table_title(FILE *to, const char *title, bool colour)
{
    fprintf(to, "\n%s%s%s\n", colour ? TABLE_BOLD : "", title, colour ? TABLE_PLAIN : "");
}
