/* limit_text: limits as people write them, exactly: "account:1 max_gross=500000 rate_n=200".
 *
 *   scope   global | tenant:ID | account:ID | strategy:ID | venue:ID | instrument:SYMBOL
 *           account:ID/SYMBOL | strategy:ID/SYMBOL | tenant:ID/SYMBOL           SYMBOL: or the instrument's id
 *   field   a name of the table RISK_FIELDS (core/risk/risk.h)
 *   value   by the field's unit: qty, money  a decimal in the scale of the instrument or the account
 *                                ns          500ms, 60s, 1.5h ... (ns us ms s m h d), or nanoseconds without a unit
 *                                bp          basis points, or 3%
 *                                count, ratio, 0/1   a whole number
 *           "off" where the table knows an end that tests nothing
 *
 * One grammar for configuration files (`limits:`), `hwal limits` and its files. Nothing is rounded: a value that is finer
 * than its scale is refused. Pure functions; threads: any. */
#pragma once

#include "core/risk/risk.h"
#include "core/types/err.h"

#define LIMIT_TEXT_MAX 64 /* bytes of a value or a scope as text, with the end */

typedef struct limit_scope {
    scope_t  type;
    uint32_t id1;                    /* 0 and a symbol: not resolved yet */
    uint32_t id2;                    /* of pairs: the instrument, likewise */
    char     symbol[SYMBOL_MAX + 1]; /* "" = none was written */
} limit_scope_t;

typedef struct limit_scale { /* digits behind the point; -1 = not known: such a value is refused */
    int32_t qty_exp;
    int32_t money_exp;
} limit_scale_t;

/* limit_scope_parse: len bytes at text. ERR_ARG names what is wrong. limit_scope_format: "account:1/BTC-USDT"; returns out.
 * limit_scope_pair: does this scope name an instrument beside something else? */
err_t limit_scope_parse(const char *text, size_t len, limit_scope_t *out);
char *limit_scope_format(const limit_scope_t *scope, char out[LIMIT_TEXT_MAX]);
bool  limit_scope_pair(scope_t type);

/* limit_field_parse: "NAME=VALUE" of len bytes: the field's number and where its value begins. ERR_ARG: no such field, the
 * scope has none of that name, no "=". */
err_t limit_field_parse(scope_t scope, const char *text, size_t len, uint32_t *field, const char **value);

/* limit_value_parse: text of len bytes to the field's integer, within its bounds. ERR_ARG says unit and bounds.
 * limit_value_format: the reverse; returns out. Scales that are not known: the integer with "?" behind it. */
err_t limit_value_parse(uint32_t field, const char *text, size_t len, limit_scale_t scale, int64_t *out);
char *limit_value_format(uint32_t field, int64_t value, limit_scale_t scale, char out[LIMIT_TEXT_MAX]);

/* limit_duration: "500ms", "1.5h" and so on in nanoseconds; false: it is none. */
bool limit_duration(const char *text, size_t len, int64_t *out);

/* limit_line_scope: the scope at the beginning of a line; *rest is what follows it. limit_line_next: the next NAME=VALUE
 * of *rest; ERR_EMPTY at the end of the line. limit_line_check: a whole line, but for scales: ERR_ARG with a sentence,
 * ERR_EXISTS: a field twice. limit_lines_apart: two lines that passed it; ERR_EXISTS: both set one field of one scope. */
err_t limit_line_scope(const char *line, limit_scope_t *scope, const char **rest);
err_t limit_line_next(const limit_scope_t *scope, const char **rest, uint32_t *field, const char **value, size_t *len);
err_t limit_line_check(const char *line);
err_t limit_lines_apart(const char *line, const char *other);
