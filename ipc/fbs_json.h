/* fbs_json: a FlatBuffers buffer as JSON text and back, by the descriptors of its schema. The text is what `flatc
 * --json
 * --strict-json --defaults-json` writes for the same buffer, on one line: enums by name where there is one, flags as
 * names with blanks between, integers of 64 bits with all their digits, union type before its value.
 *
 * Reading is stricter than flatc: RFC 8259; unknown, repeated and missing required members are errors; every field of a
 * struct must be there; numbers are integers in the range of their field (never rounded, never wrapped). The buffer
 * written is a template (fbs.h) whenever all fields of a hot table are given.
 *
 * Neither side allocates; text and buffer are the caller's. Any thread. Cold: about a microsecond a message.
 * Limits   FBS_DEPTH_MAX tables deep; member names up to 63 bytes, strings up to FBS_JSON_STRING_MAX bytes of text.
 * Errors   with a sentence naming table, field, value and limit (err.h). */
#pragma once

#include "ipc/fbs.h"

#define FBS_JSON_STRING_MAX 4096u

/* fbs_json_out: buf (verified) as text, zero-terminated, *len without the zero.
 * Returns ERR_OK; ERR_FULL (text too small; *len is then the room that is needed, with the zero); ERR_PARSE (a string
 * that is not UTF-8); ERR_UNSUPPORTED (a union type of a newer schema). */
err_t fbs_json_out(const fbs_object_t *root, const void *buf, char *text, size_t cap, size_t *len);

/* fbs_json_in: text[0..text_len) as a buffer at buf (8-aligned), *len bytes; conforming, as fbs_verify would find.
 * Returns ERR_OK; ERR_FULL (buf too small); ERR_PARSE, ERR_RANGE, ERR_SCALE (a fraction), ERR_LIMIT with the byte
 * offset. */
err_t fbs_json_in(const fbs_object_t *root, const char *text, size_t text_len, void *buf, size_t cap, size_t *len);
