/* scan: the one reader of venue messages. Strict RFC 8259 JSON, read where it lies: no copy, no allocation, no tree.
 *
 * What it is. A scan_t is a cursor over a text of known length. The codec pulls: enter an object, ask for the next
 * member's key, take the value as what it must be, or skip it. Every byte that the cursor passes has been checked:
 * grammar, UTF-8 (no overlong form, no surrogate, nothing above U+10FFFF), escapes (no lone surrogate), depth. A
 * skipped value is checked as strictly as a taken one. Nothing is repaired and nothing is coerced.
 *
 *   {"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","b":[["61773.6","1001"],...]}}
 *   ^ enter_object                ^ member gives the key and leaves the cursor at the value: u64, decimal, string,
 *     ^ member -> stream            enter_*, levels or skip move it behind the value; then member again, until ERR_END
 *
 * The generic walk                               The predicted walk (order of keys known)
 *   scan_init(&s, text, len);                      scan_init(&s, text, len);
 *   scan_enter_object(&s);                         ok = scan_expect(&s, "{\"e\":\"trade\",\"E\":", 17)
 *   while (scan_member(&s, &key) == ERR_OK) {          && scan_u64(&s, &event_ms) == ERR_OK
 *       if (scan_str_is(&key, "E", 1)) {               && scan_expect(&s, ",\"p\":", 5)
 *           scan_u64(&s, &event_ms);                   && scan_decimal(&s, px_exp, &px) == ERR_OK
 *       } else {                                       && scan_expect(&s, "}", 1) && scan_end(&s) == ERR_OK;
 *           scan_skip(&s);                         if (!ok) { scan_init again and take the generic walk, whose
 *       }                                                     answer is the one that counts }
 *   }
 *   err = scan_end(&s);
 *
 * A predicted walk made of scan_expect, values and scan_end alone accepts only texts that the generic walk accepts,
 * with the same values, because the literals are JSON and each value is read by the same rules. scan_expect does not
 * track containers: after a literal that opens or closes one, do not call scan_member or scan_element. A literal such
 * as ,"E": that begins behind a value, ends at the next and opens nothing may also be used within a generic walk.
 *
 * Errors. The first failure is kept: every later call returns it and moves nothing, so results need only be looked at
 * where a loop ends and at scan_end. s.err is its code, s.at the offending byte (scan_offset), err_msg() the sentence.
 *   ERR_PARSE      not JSON, or not the kind of value that was asked for
 *   ERR_TRUNCATED  the text so far is right and ends too early. So a prefix of a good document is never called wrong
 *                  and never called complete: whoever reads from a stream calls again with the longer text. (One
 *                  document can be complete and still grow: a bare number with nothing round it.)
 *   ERR_SCALE      scan_decimal: finer than the scale; scan_u64: written with a fraction or an exponent
 *   ERR_RANGE      does not fit an int64, uint64
 *   ERR_LIMIT      nested deeper than SCAN_DEPTH_MAX; SCAN_UNIQUE: more than SCAN_MEMBERS_MAX members open at once
 *
 * Duplicate members are grammatical (RFC 8259, section 4) and the walk shows each of them; a codec that sees a key
 * twice decides by the bits of the keys it has seen. Configuration, tokens and orders are first put through
 * scan_validate with SCAN_UNIQUE, which refuses them, comparing keys after their escapes are resolved.
 *
 * Memory    reads exactly text[0..len): no padding needed, the text may end at an unreadable page. (Vectors of 16
 *           bytes are used while 16 bytes are left, single bytes behind that.) The text must not change while it is
 *           scanned and must outlive the views taken from it. A scan_t holds pointers into it: it is a local variable
 *           of an edge, never state. Copying a scan_t is a bookmark; the copy reads on from there by itself.
 * Stack     fixed; no recursion: open containers are one bit each of a 64-bit word.
 * Threads   one scan_t, one thread; no globals but err_msg's.
 * Cost      one pass; 12-18 ns a level of depth, figures in README.md.
 * Source    RFC 8259, RFC 3629 section 4 (UTF-8 table). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/types/err.h"
#include "core/types/msg.h"

#define SCAN_DEPTH_MAX 64    /* containers open at once: bits in scan_t.kinds                          */
#define SCAN_MEMBERS_MAX 256 /* SCAN_UNIQUE: members of all open objects together that can be compared */

typedef struct scan {
    const char *at;  /* next unread byte; after a failure the offending one                        */
    const char *end; /* behind the last byte                                                       */
    const char *begin;
    uint64_t    kinds;       /* bit d: the container at depth d + 1 is an object                           */
    uint32_t    depth;       /* containers open                                                            */
    bool        fresh;       /* the innermost container was just entered: no comma before its first member */
    bool        levels_open; /* scan_levels stopped with ERR_FULL and will be called again                 */
    err_t       err;         /* first failure, kept                                                        */
} scan_t;

typedef struct scan_str { /* a string or number where it lies, without its quotes */
    const char *text;
    size_t      len;
    bool        escaped; /* holds at least one backslash: resolve with scan_str_copy before use */
} scan_str_t;

typedef enum scan_kind {
    SCAN_NONE = 0, /* end of text, or a byte that begins no value */
    SCAN_OBJECT,
    SCAN_ARRAY,
    SCAN_STRING,
    SCAN_NUMBER,
    SCAN_BOOL,
    SCAN_NULL
} scan_kind_t;

/* scan_init: a cursor before the document text[0..len). Never fails; len may be 0 (the first call says TRUNCATED). */
static inline void scan_init(scan_t *s, const char *text, size_t len)
{
    *s = (scan_t){.at = text, .end = text + len, .begin = text};
}

/* scan_offset: bytes before the cursor; after a failure the offset of the offending byte. */
static inline size_t scan_offset(const scan_t *s)
{
    return (size_t)(s->at - s->begin);
}

/* ---- structure --------------------------------------------------------------------------------------------------- */
/* scan_enter_object, scan_enter_array: step into the container at the cursor.
   Returns ERR_OK; ERR_PARSE when the value is another kind; ERR_LIMIT at depth SCAN_DEPTH_MAX; ERR_TRUNCATED. */
err_t scan_enter_object(scan_t *s);
err_t scan_enter_array(scan_t *s);

/* scan_member: within an object: the next key; the cursor then stands at its value, which must be taken or skipped.
   Returns ERR_OK; ERR_END when the object ended (the cursor is behind it; not a failure); or the failure.
   scan_element: within an array: ERR_OK with the cursor at the next element; ERR_END; or the failure. */
err_t scan_member(scan_t *s, scan_str_t *key);
err_t scan_element(scan_t *s);

/* scan_end: nothing but white space may follow the document. ERR_OK, or the first failure of the whole walk. */
err_t scan_end(scan_t *s);

/* scan_expect: move behind literal[0..len) when the text goes on with exactly these bytes, else change nothing and
   return false, which is no failure. False also after a failure. With a constant len it is a compare or two. */
static inline bool scan_expect(scan_t *s, const char *literal, size_t len)
{
    if (s->err != ERR_OK || (size_t)(s->end - s->at) < len || memcmp(s->at, literal, len) != 0) {
        return false;
    }
    s->at += len;
    return true;
}

/* ---- values: each skips white space before the value and leaves the cursor behind it; *out untouched on failure -- */
/* scan_kind: what the value at the cursor is, by its first byte; takes nothing. */
scan_kind_t scan_kind(scan_t *s);

err_t scan_string(scan_t *s, scan_str_t *out);
err_t scan_number(scan_t *s, scan_str_t *out); /* the text of a bare number, any size, grammar checked */
err_t scan_bool(scan_t *s, bool *out);

/* scan_decimal: a number, bare (61773.6) or quoted ("61773.6"), times 10^exp; 0 <= exp <= DECIMAL_EXP_MAX. Equal to
   decimal_parse of its text, exponents included; a quoted one with an escape in it is ERR_PARSE.
   scan_u64: a whole number in digits, bare or quoted, 0..2^64-1; a minus sign is ERR_RANGE. */
err_t scan_decimal(scan_t *s, unsigned exp, int64_t *out);
err_t scan_u64(scan_t *s, uint64_t *out);

/* scan_skip: pass over one value of any kind, checking all of it. */
err_t scan_skip(scan_t *s);

/* scan_levels: an array of levels [["px","qty"],...] into out[0..max), in parts.
   Each level is an array of at least two decimals, quoted or bare; what follows them in the level is checked and
   skipped. *count is the levels stored by this call, on failure too (those before the bad one).
   Returns ERR_OK    the array ended, the cursor is behind it
           ERR_FULL  out is full and at least one more level follows: call again to go on. No other call on s between.
           else      the failure
   max >= 1. Cost: 12-18 ns a level. */
err_t scan_levels(scan_t *s, unsigned px_exp, unsigned qty_exp, level_t *out, uint32_t max, uint32_t *count);

/* ---- strings ----------------------------------------------------------------------------------------------------- */
bool scan_str_is_escaped(const scan_str_t *str, const char *literal, size_t len); /* the slow half of scan_str_is */

/* scan_str_is: true when the string, escapes resolved, is literal[0..len). */
static inline bool scan_str_is(const scan_str_t *str, const char *literal, size_t len)
{
    if (__builtin_expect(str->escaped, 0)) {
        return scan_str_is_escaped(str, literal, len);
    }
    return str->len == len && memcmp(str->text, literal, len) == 0;
}

/* scan_str_copy: the string with its escapes resolved, as UTF-8, and a zero behind it.
   cap      bytes of buf; the result and its zero must fit
   len      bytes without the zero; the string itself may hold zeros ("\u0000")
   Returns  ERR_OK; ERR_LIMIT when it does not fit (buf holds no usable text, *len untouched). */
err_t scan_str_copy(const scan_str_t *str, char *buf, size_t cap, size_t *len);

/* ---- a whole document -------------------------------------------------------------------------------------------- */
enum { SCAN_UNIQUE = 1 }; /* refuse an object that has a member twice */

/* scan_validate: is text[0..len) one JSON document, by the rules above?
   flags    0 or SCAN_UNIQUE
   offset   may be NULL; on failure the first byte that no good document can have there (len when TRUNCATED). For a
            duplicate it is the quote that completes the second key.
   Returns  ERR_OK, ERR_PARSE, ERR_TRUNCATED, ERR_LIMIT; the sentence names the offset and the reason.
   Cost     one pass; with SCAN_UNIQUE also members^2 / 2 compares of a word for each object, at most
            SCAN_MEMBERS_MAX a member, and 10 KiB of stack. */
err_t scan_validate(const char *text, size_t len, unsigned flags, size_t *offset);
