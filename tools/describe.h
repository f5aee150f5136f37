/* describe: a message in words that a person reads: FIX names, names of enums, symbols, exact decimals.
 *
 * By the schema's descriptors, so a new message or field needs nothing here: prices, quantities and money are known by
 * their fields' names, and scaled by the instrument (or the account) that the message names. A number whose scale is not
 * known (its instrument was never defined) is null, never a guess. */
#pragma once

#include <jansson.h>

#include "tools/attach_args.h"

/* describe_fields: every field of the body into row, decimals as strings, plus "symbol", "code_name", "state" (of
 * accounts), "text". describe_decimals: only those fields that are decimals, and "symbol". */
void describe_fields(json_t *row, const attach_t *a, const msg_t *msg);
void describe_decimals(json_t *row, const attach_t *a, const msg_t *msg);

/* describe_raw: the message as fbs_json writes it; a text that the caller frees, NULL when it cannot be. */
char *describe_raw(const attach_message_t *m);

/* describe_line: "12:00:01.234567 EXEC_REPORT BTCUSDT exec_type=TRADE last_px=61602.01 ..." without an end of line;
 * fields that are zero are left out. */
void describe_line(FILE *to, const attach_t *a, const msg_t *msg);

/* describe_type: message type by name; MSG_NONE = none of that name. describe_time: UTC as text. */
msg_type_t describe_type(const char *name);
void       describe_time(int64_t utc_ns, char out[40]);

/* describe_decimal: value in 10^-exp as a JSON string; null when exp is not 0..18. */
json_t *describe_decimal(int64_t value, int exp);
