#include "tests/lib/decimal_model.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/json_model.h"

enum { EXPONENT_MAX = 2 * DECIMAL_MODEL_LEN_MAX }; /* beyond it no text of that length changes the answer */

/* Shift the point in the row of digits, see whether a digit that is not zero falls off, compare the row that is left,
   as text, with the largest one. */
err_t decimal_model_parse(const char *text, size_t len, unsigned exp, char out[64])
{
    char copy[DECIMAL_MODEL_LEN_MAX + 1], row[2 * EXPONENT_MAX];
    assert(len <= DECIMAL_MODEL_LEN_MAX);
    memcpy(copy, text, len);
    copy[len] = '\0';
    /* a JSON document that is a number and has no white space round it */
    if (len == 0 || strchr("-0123456789", copy[0]) == NULL || strchr("0123456789", copy[len - 1]) == NULL ||
        !json_model_valid(text, len, 0)) {
        return ERR_PARSE;
    }
    const bool  negative = copy[0] == '-';
    char *const e        = strpbrk(copy, "eE");
    long        shift    = e != NULL ? strtol(e + 1, NULL, 10) : 0;
    if (e != NULL) {
        *e = '\0';
    }
    shift             = shift > EXPONENT_MAX ? EXPONENT_MAX : shift < -EXPONENT_MAX ? -EXPONENT_MAX : shift;
    char *const point = strchr(copy, '.');
    shift += (long)exp - (point != NULL ? (long)strlen(point + 1) : 0);
    size_t count = 0;
    for (const char *c = copy; *c != '\0'; c++) {
        if (*c >= '0' && *c <= '9') {
            row[count++] = *c;
        }
    }
    row[count] = '\0';
    if (strspn(row, "0") == count) {
        strcpy(out, "0");
        return ERR_OK;
    }
    for (; shift > 0; shift--) {
        row[count++] = '0';
    }
    for (; shift < 0; shift++) {
        if (row[--count] != '0') {
            return ERR_SCALE;
        }
    }
    row[count]          = '\0';
    const char  *first  = row + strspn(row, "0");
    const char  *limit  = negative ? "9223372036854775808" : "9223372036854775807";
    const size_t digits = strlen(first);
    if (digits > 19 || (digits == 19 && strcmp(first, limit) > 0)) {
        return ERR_RANGE;
    }
    snprintf(out, 64, "%s%s", negative ? "-" : "", first);
    return ERR_OK;
}
