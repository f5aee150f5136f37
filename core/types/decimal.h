/* decimal: text to scaled integer and back, exactly.
 *
 * Grammar of decimal_parse is the number of RFC 8259: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? and nothing
 * around it. The value times 10^exp must be an integer that fits an int64: finer is ERR_SCALE (never rounded), larger
 * is ERR_RANGE (never wrapped), anything else is ERR_PARSE. "-0" is 0.
 *
 * Pure; any thread; no allocation. Reads exactly text[0..len). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"
#include "core/types/num.h"

#define DECIMAL_EXP_MAX 18
#define DECIMAL_TEXT_MAX 48 /* bytes that decimal_format and decimal_format_i128 need at most, with the end */

/* decimal_parse: 0 <= exp <= DECIMAL_EXP_MAX. *out untouched on failure. Does not set err_msg (hot path). */
err_t decimal_parse(const char *text, size_t len, unsigned exp, int64_t *out);

/* decimal_format: value / 10^exp with exactly exp fraction digits ("61602.01" for 6160201, 2; "5" for 5, 0).
 * Returns the length; out is zero-terminated. decimal_format_i128: the same for sums of money. */
size_t decimal_format(int64_t value, unsigned exp, char out[DECIMAL_TEXT_MAX]);
size_t decimal_format_i128(i128_t value, unsigned exp, char out[DECIMAL_TEXT_MAX]);
