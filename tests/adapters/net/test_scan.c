/* scan: invariants checked
 *   - a document is accepted exactly when the model accepts it; texts are generated, mutated, cut
 *   - every prefix of a good document is TRUNCATED or OK; a refusal names the first byte that no good document can have
 *     there: one byte less and the text is merely incomplete, one byte more and the answer stays
 *   - every read stays within the text: each text lies directly before an unreadable page
 *   - all UTF-8 sequences of at most four bytes are judged as their code points are; escapes resolve to the same bytes
 *   - decimals, ids and levels by the fast paths equal the generic walk and decimal_parse, in every position
 *   - the first failure is kept; nothing is written on failure; scan_expect changes nothing when it says no
 *   - SCAN_UNIQUE refuses exactly the objects that have a member twice
 * Seed: HWAL_SEED. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "adapters/net/scan.h"
#include "core/types/decimal.h"
#include "tests/lib/json_model.h"
#include "tests/lib/levels_model.h"

enum { ROOM = 1 << 16, PAGE = 4096 };

static uint64_t seed;
static char    *fence; /* the unreadable page begins here */

static uint64_t draw(void) /* splitmix64 */
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
    return (unsigned)(draw() % n);
}

/* A copy of the text whose last byte is the last readable one. */
static const char *fenced(const char *text, size_t len)
{
    assert_true(len <= ROOM);
    memmove(fence - len, text, len);
    return fence - len;
}

static err_t validate(const char *text, size_t len, unsigned flags, size_t *offset)
{
    return scan_validate(fenced(text, len), len, flags, offset);
}

static err_t validate_str(const char *text, unsigned flags)
{
    return validate(text, strlen(text), flags, NULL);
}

/* ---- random texts ------------------------------------------------------------------------------------------------ */
typedef struct text {
    char   bytes[ROOM];
    size_t len;
} text_t;

static void put(text_t *t, const char *bytes)
{
    t->len += (size_t)sprintf(t->bytes + t->len, "%s", bytes);
}

static void put_space(text_t *t)
{
    static const char *const spaces[] = {"", "", "", "", "", " ", "\n", "\t\r "};
    put(t, spaces[below(8)]);
}

static void put_string(text_t *t)
{
    static const char *const parts[] = {"a",        "price",        "0123456789abcdef",
                                        "\\n",      "\\\"",         "\\\\",
                                        "\\u0041",  "\\u0000",      "\\ud834\\udd1e",
                                        "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9d\x84\x9e",
                                        "\x7f",     "\xef\xbf\xbf", "\\/",
                                        "~"};
    put(t, "\"");
    for (unsigned n = below(4); n > 0; n--) {
        put(t, parts[below(16)]);
    }
    put(t, "\"");
}

static void put_value(text_t *t, unsigned depth)
{
    static const char *const scalars[] = {"true", "false",    "null", "0",      "-0",  "12",
                                          "-1.5", "61773.60", "1e9",  "0.5E-7", "0e+1"};
    put_space(t);
    const unsigned kind = below(depth > 0 ? 4 : 2);
    if (kind == 0) {
        put_string(t);
    } else if (kind == 1) {
        put(t, scalars[below(11)]);
    } else {
        put(t, kind == 2 ? "[" : "{");
        for (unsigned n = below(4), i = 0; i < n; i++) {
            put(t, i > 0 ? "," : "");
            put_space(t);
            if (kind == 3) {
                put_string(t);
                put_space(t);
                put(t, ":");
            }
            put_value(t, depth - 1);
        }
        put_space(t);
        put(t, kind == 2 ? "]" : "}");
    }
    put_space(t);
}

static void mutate(text_t *t)
{
    static const char alphabet[] =
        "\"\\{}[]:,0123456789.-+eEutfn \t\n\x01\x1f\x7f\x80\xbf\xc2\xe0\xed\xf0\xf4\xffxdD8cC";
    for (unsigned n = 1 + below(3); n > 0 && t->len > 0; n--) {
        const size_t at = below((unsigned)t->len);
        const char   c  = alphabet[below(sizeof alphabet - 1)];
        switch (below(4)) {
        case 0: t->bytes[at] = c; break;
        case 1: memmove(t->bytes + at, t->bytes + at + 1, t->len - at - 1), t->len--; break;
        case 2: memmove(t->bytes + at + 1, t->bytes + at, t->len - at), t->bytes[at] = c, t->len++; break;
        default: t->len = at;
        }
    }
}

/* ---- documents --------------------------------------------------------------------------------------------------- */
/* The answer about a text and about its prefixes must hang together. */
static void check_answer(const char *text, size_t len)
{
    size_t      offset = len;
    const err_t err    = validate(text, len, 0, &offset);
    const bool  model  = json_model_valid(text, len, SCAN_DEPTH_MAX);
    if ((err == ERR_OK) != model) {
        fail_msg("%s, model %d: %.*s", err_str(err), model, (int)len, text);
    }
    if (err == ERR_TRUNCATED) {
        assert_int_equal(offset, len);
    } else if (err != ERR_OK) {
        size_t      again  = 0;
        const err_t before = validate(text, offset, 0, NULL);
        if (offset >= len || (before != ERR_OK && before != ERR_TRUNCATED) ||
            validate(text, offset + 1, 0, &again) != err || again != offset) {
            fail_msg("%s at %zu is not the first bad byte: %.*s", err_str(err), offset, (int)len, text);
        }
    }
}

static void test_scan_validate_equals_model(void **state)
{
    (void)state;
    static text_t t;
    unsigned      good = 0;
    for (int round = 0; round < 60000; round++) {
        t.len = 0;
        put_value(&t, below(5));
        assert_int_equal(validate(t.bytes, t.len, 0, NULL), ERR_OK);
        check_answer(t.bytes, t.len);
        for (size_t cut = 0; cut < t.len && round % 16 == 0; cut++) {
            const err_t err = validate(t.bytes, cut, 0, NULL);
            assert_true(err == ERR_TRUNCATED || (err == ERR_OK && json_model_valid(t.bytes, cut, SCAN_DEPTH_MAX)));
        }
        mutate(&t);
        check_answer(t.bytes, t.len);
        good += json_model_valid(t.bytes, t.len, SCAN_DEPTH_MAX);
    }
    assert_true(good > 1000);
}

static void test_scan_names_first_bad_byte(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        err_t       err;
        size_t      offset;
    } cases[] = {
        {"", ERR_TRUNCATED, 0},        {" ", ERR_TRUNCATED, 1},
        {"[1", ERR_TRUNCATED, 2},      {"[1,]", ERR_PARSE, 3},
        {"[01]", ERR_PARSE, 2},        {"{\"a\" 1}", ERR_PARSE, 5},
        {"\"\"\"", ERR_PARSE, 2},      {"{\"\"\":1}", ERR_PARSE, 3},
        {"{\"a\":1,}", ERR_PARSE, 7},  {"\"\\uDC", ERR_PARSE, 4},
        {"\"\\ud8", ERR_TRUNCATED, 5}, {"\"\\ud800\\ue", ERR_PARSE, 9},
        {"\"\xe0\x9f", ERR_PARSE, 2},  {"\"\xed\xa0", ERR_PARSE, 2},
        {"\"\xf4\x90", ERR_PARSE, 2},  {"\"\xf0\x90", ERR_TRUNCATED, 3},
        {"\"\xc1", ERR_PARSE, 1},      {"\"a\x1f", ERR_PARSE, 2},
        {"tru", ERR_TRUNCATED, 3},     {"trux", ERR_PARSE, 3},
        {"1.", ERR_TRUNCATED, 2},      {"1.e", ERR_PARSE, 2},
        {"{} {}", ERR_PARSE, 3},       {"\xef\xbb\xbf{}", ERR_PARSE, 0},
        {"]", ERR_PARSE, 0},           {"[}", ERR_PARSE, 1},
        {"{]", ERR_PARSE, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t offset = 999;
        assert_int_equal(validate(cases[i].text, strlen(cases[i].text), 0, &offset), cases[i].err);
        assert_int_equal(offset, cases[i].offset);
    }
    assert_int_equal(validate("\"\0\"", 3, 0, NULL), ERR_PARSE);
    assert_int_equal(validate_str("[1, x]", 0), ERR_PARSE);
    assert_string_equal(err_msg(), "json: offset 4, byte 0x78: expected a value");
}

static void test_scan_depth_limit(void **state)
{
    (void)state;
    for (unsigned depth = SCAN_DEPTH_MAX - 1; depth <= SCAN_DEPTH_MAX + 1; depth++) {
        for (unsigned mix = 0; mix < 8; mix++) { /* which levels are objects: closing must find the same again */
            char   text[1024], closing[128];
            size_t len = 0;
            for (unsigned i = 0; i < depth; i++) {
                const bool object = mix >> i % 3 & 1;
                len += (size_t)sprintf(text + len, "%s", object ? "{\"k\":" : "[");
                closing[depth - 1 - i] = object ? '}' : ']';
            }
            len += (size_t)sprintf(text + len, "1%.*s", (int)depth, closing);
            const err_t want = depth <= SCAN_DEPTH_MAX ? ERR_OK : ERR_LIMIT;
            assert_int_equal(validate(text, len, 0, NULL), want);
            assert_int_equal(validate(text, len, SCAN_UNIQUE, NULL), want);
        }
    }
}

/* Every lead byte with every second byte, and third and fourth bytes at and just outside the ends of their range. */
static void test_scan_utf8_by_code_point(void **state)
{
    (void)state;
    static const unsigned char ends[] = {0x7f, 0x80, 0xbf, 0xc0};
    for (unsigned lead = 0x80; lead <= 0xff; lead++) {
        for (unsigned second = 0; second <= 0xff; second++) {
            for (unsigned i = 0; i < 16; i++) {
                for (unsigned len = 1; len <= 4; len++) {
                    const unsigned char seq[] = {(unsigned char)lead, (unsigned char)second, ends[i % 4], ends[i / 4]};
                    char                text[8] = "\"";
                    memcpy(text + 1, seq, len);
                    text[1 + len] = '"';
                    assert_int_equal(validate(text, len + 2, 0, NULL) == ERR_OK,
                                     json_model_valid(text, len + 2, SCAN_DEPTH_MAX));
                }
            }
        }
    }
}

/* Each code point of the basic plane and some of the others, written as UTF-8 by hand and as escapes. */
static void test_scan_escapes_resolve_to_utf8(void **state)
{
    (void)state;
    for (unsigned code = 0; code <= 0x10ffff; code += code < 0x10000 ? 1 : 97) {
        char   text[32], want[8], got[8];
        size_t len = 0, count;
        if (code >= 0xd800 && code <= 0xdfff) {
            continue;
        }
        if (code < 0x10000) {
            sprintf(text, code % 2 == 0 ? "\"\\u%04x\"" : "\"\\u%04X\"", code);
        } else {
            sprintf(text, "\"\\u%04x\\u%04X\"", 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
        }
        const int      bits = 32 - __builtin_clz(code | 1);
        const unsigned more = bits <= 7 ? 0 : bits <= 11 ? 1 : bits <= 16 ? 2 : 3;
        want[len++]         = (char)(more == 0 ? code : (0xf0u << (3 - more) & 0xff) | code >> 6 * more);
        for (unsigned i = more; i > 0; i--) {
            want[len++] = (char)(0x80 | (code >> 6 * (i - 1) & 0x3f));
        }
        scan_t     s;
        scan_str_t str;
        scan_init(&s, fenced(text, strlen(text)), strlen(text));
        assert_int_equal(scan_string(&s, &str), ERR_OK);
        assert_true(str.escaped);
        assert_int_equal(scan_str_copy(&str, got, sizeof got, &count), ERR_OK);
        assert_int_equal(count, len);
        assert_memory_equal(got, want, len);
        assert_int_equal(got[len], '\0');
        assert_true(scan_str_is(&str, want, len));
        assert_false(scan_str_is(&str, want, len - 1));
        assert_int_equal(scan_str_copy(&str, got, len, &count), ERR_LIMIT);
    }
    scan_t     s;
    scan_str_t str;
    char       got[8];
    size_t     count;
    scan_init(&s, "\"\\\"\\\\\\/\\b\\f\\n\\r\"", 16);
    assert_int_equal(scan_string(&s, &str), ERR_OK);
    assert_int_equal(scan_str_copy(&str, got, sizeof got, &count), ERR_OK);
    assert_string_equal(got, "\"\\/\b\f\n\r");
    assert_int_equal(scan_str_copy(&str, got, 7, &count), ERR_LIMIT);
    assert_int_equal(scan_str_copy(&str, got, 0, &count), ERR_LIMIT);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
static void put_decimal(text_t *t)
{
    char number[64];
    switch (below(8)) {
    case 0: sprintf(number, "%u", below(3)); break;
    case 1: sprintf(number, "%" PRIu64, draw() >> below(64)); break;
    case 2: sprintf(number, "0.%0*u", (int)(1 + below(16)), below(100000)); break;
    case 3: sprintf(number, "%u.%s", below(1000000), &"0000000000000000"[below(16)]); break;
    case 4: sprintf(number, "%s%u.%ue%d", below(2) ? "-" : "", below(100), below(1000), (int)below(40) - 20); break;
    case 5: sprintf(number, "%u.%u.%u", below(20), below(20), below(20)); break;
    case 6: sprintf(number, "0%u.%u", below(100), below(100)); break;
    default: sprintf(number, "%u.%0*u", below(100000), (int)(1 + below(8)), below(1000)); break;
    }
    put(t, number);
}

/* Each number stands in a list at a random distance from the unreadable page; the model is decimal_parse over the
   bytes up to the delimiter, and a hand count for ids. */
static void test_scan_numbers_equal_exact_parse(void **state)
{
    (void)state;
    static text_t t;
    unsigned      seen[ERR_COUNT] = {0};
    for (int round = 0; round < 400000; round++) {
        const bool     quoted = below(2) == 0;
        const unsigned exp    = below(DECIMAL_EXP_MAX + 1);
        t.len                 = 0;
        put(&t, quoted ? "[\"" : "[");
        const size_t from = t.len;
        put_decimal(&t);
        if (below(16) == 0) {
            t.bytes[from + below((unsigned)(t.len - from))] = "x-+.e:/0"[below(8)];
        }
        const size_t to = t.len;
        put(&t, quoted ? "\"" : "");
        put_space(&t);
        put(&t, "]");
        for (unsigned tail = below(24); tail > 0; tail--) {
            put(&t, " ");
        }
        const char *text = fenced(t.bytes, t.len);
        int64_t     want = 0, got = 0;
        uint64_t    id = 0;
        scan_t      s;
        scan_init(&s, text, t.len);
        scan_enter_array(&s);
        scan_element(&s);
        scan_t      for_id = s;
        const err_t model  = decimal_parse(t.bytes + from, to - from, exp, &want);
        err_t       err    = scan_decimal(&s, exp, &got);
        assert_true(err == ERR_OK || got == 0);
        err = err == ERR_OK && scan_element(&s) != ERR_END ? ERR_PARSE : err;
        err = err == ERR_OK ? scan_end(&s) : err;
        if (err != model && !(model == ERR_PARSE && err != ERR_OK)) { /* bare: "1x" may be finer before the x is met */
            fail_msg("%.*s at %u: %s, model %s", (int)t.len, t.bytes, exp, err_str(err), err_str(model));
        }
        assert_true(err != ERR_OK || got == want);
        seen[err]++;

        err_t id_err = scan_u64(&for_id, &id);
        id_err       = id_err == ERR_OK && scan_element(&for_id) != ERR_END ? ERR_PARSE : id_err;
        t.bytes[to]  = '\0';
        char       *stop;
        const char *first  = t.bytes + from;
        const bool  digits = *first >= '0' && *first <= '9' && (*first != '0' || first[1] == '\0');
        __extension__ const unsigned __int128 big  = digits && to - from <= 20 ? strtoull(first, &stop, 10) : 0;
        const bool                            fits = digits && strspn(first, "0123456789") == to - from &&
                          (to - from < 20 || (to - from == 20 && strcmp(first, "18446744073709551615") <= 0));
        assert_int_equal(id_err == ERR_OK, fits);
        assert_true(!fits || id == (uint64_t)big);
    }
    assert_true(seen[ERR_OK] > 1000 && seen[ERR_SCALE] > 1000 && seen[ERR_RANGE] > 1000 && seen[ERR_PARSE] > 1000);
}

static void test_scan_number_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        err_t       decimal;
        err_t       id;
    } cases[] = {
        {"1.25", ERR_SCALE, ERR_SCALE},
        {"1.0", ERR_OK, ERR_SCALE},
        {"-1", ERR_OK, ERR_RANGE},
        {"1e1", ERR_OK, ERR_SCALE},
        {"\"1e1\"", ERR_OK, ERR_SCALE},
        {"null", ERR_PARSE, ERR_PARSE},
        {"\"\"", ERR_PARSE, ERR_PARSE},
        {"\"1 \"", ERR_PARSE, ERR_PARSE},
        {"\"\\u0031\"", ERR_PARSE, ERR_PARSE},
        {"\"12", ERR_TRUNCATED, ERR_TRUNCATED},
        {"", ERR_TRUNCATED, ERR_TRUNCATED},
        {"18446744073709551615", ERR_RANGE, ERR_OK},
        {"18446744073709551616", ERR_RANGE, ERR_RANGE},
        {"[1]", ERR_PARSE, ERR_PARSE},
        {"true", ERR_PARSE, ERR_PARSE},
        {"\"07\"", ERR_PARSE, ERR_PARSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t len   = strlen(cases[i].text);
        int64_t      value = 0;
        uint64_t     id    = 0;
        scan_t       s;
        scan_init(&s, fenced(cases[i].text, len), len);
        assert_int_equal(scan_decimal(&s, 1, &value), cases[i].decimal);
        scan_init(&s, fence - len, len);
        assert_int_equal(scan_u64(&s, &id), cases[i].id);
    }
}

/* ---- levels ------------------------------------------------------------------------------------------------------ */
static void put_level(text_t *t, bool odd)
{
    static const char *const separators[] = {"\",\"", "\" ,\"", "\", \"", "\",", ",\""};
    const unsigned           shape        = odd ? 1 + below(7) : 0;
    put(t, shape == 1 ? " [\"" : shape == 2 ? "[" : "[\"");
    put_decimal(t);
    put(t, shape == 2 ? "," : separators[shape == 3 ? below(5) : 0]);
    put_decimal(t);
    put(t, shape == 2 ? "]" : shape == 4 ? "\",7,[{}]]" : shape == 5 ? "\" ] " : shape == 6 ? "\"" : "\"]");
}

static void test_scan_levels_equal_generic_walk(void **state)
{
    (void)state;
    static text_t  t;
    static level_t want[256], got[256];
    unsigned       good = 0, parts_seen = 0;
    for (int round = 0; round < 60000; round++) {
        const unsigned px_exp = below(9), qty_exp = below(9), odds = 1 + below(40);
        t.len = 0;
        put(&t, "[");
        for (unsigned n = below(24), i = 0; i < n; i++) {
            put(&t, i > 0 ? "," : "");
            if (below(3) == 0) {
                put_level(&t, below(odds) == 0);
            } else {
                char usual[64];
                sprintf(usual, "[\"%u.%02u\",\"%u\"]", below(70000), below(100), below(2000));
                put(&t, below(2) == 0 ? "[\"61773.60000000\",\"0.00000000\"]" : usual);
            }
        }
        put(&t, "]");
        if (below(8) == 0) {
            mutate(&t);
        }
        put(&t, below(2) == 0 ? "}" : "");
        scan_t      slow, fast;
        uint32_t    slow_count, total = 0, part = 0;
        const char *text = fenced(t.bytes, t.len);
        scan_init(&slow, text, t.len);
        scan_init(&fast, text, t.len);
        const err_t    slow_err = levels_model_read(&slow, px_exp, qty_exp, want, 256, &slow_count);
        const uint32_t max      = 1 + below(30);
        err_t          err;
        do {
            err = scan_levels(&fast, px_exp, qty_exp, got + total, max, &part);
            assert_true(err != ERR_FULL || part == max);
            total += part;
            parts_seen += err == ERR_FULL;
        } while (err == ERR_FULL);
        if (err != slow_err || total != slow_count) {
            fail_msg("%s %u, slowly %s %u: %.*s", err_str(err), total, err_str(slow_err), slow_count, (int)t.len,
                     t.bytes);
        }
        for (uint32_t i = 0; i < total; i++) {
            assert_int_equal(got[i].px, want[i].px);
            assert_int_equal(got[i].qty, want[i].qty);
        }
        assert_true(err != ERR_OK || (fast.at == slow.at && fast.depth == 0));
        good += err == ERR_OK;
    }
    assert_true(good > 1000 && parts_seen > 1000);
}

static void test_scan_levels_cuts_at_max(void **state)
{
    (void)state;
    const char text[] = "[[\"3\",\"1\"],[\"2\",\"1\"],[\"1\",\"0.5\"],[4,\"1\"]]";
    level_t    out[4];
    uint32_t   count;
    scan_t     s;
    scan_init(&s, text, sizeof text - 1);
    assert_int_equal(scan_levels(&s, 0, 1, out, 4, &count), ERR_OK); /* exactly max: the end is seen at once */
    assert_int_equal(count, 4);
    assert_int_equal(out[2].qty, 5);
    assert_int_equal(scan_end(&s), ERR_OK);
    scan_init(&s, text, sizeof text - 1);
    assert_int_equal(scan_levels(&s, 0, 1, out, 2, &count), ERR_FULL);
    assert_int_equal(count, 2);
    assert_int_equal(scan_levels(&s, 0, 1, out, 2, &count), ERR_OK);
    assert_int_equal(count, 2);
    assert_int_equal(out[1].px, 4);
    scan_init(&s, "[]", 2);
    assert_int_equal(scan_levels(&s, 0, 1, out, 2, &count), ERR_OK);
    assert_int_equal(count, 0);
    scan_init(&s, "[[\"3\"]]", 7);
    assert_int_equal(scan_levels(&s, 0, 1, out, 2, &count), ERR_PARSE);
    assert_int_equal(scan_offset(&s), 5);
}

/* ---- the cursor -------------------------------------------------------------------------------------------------- */
static void test_scan_first_failure_is_kept(void **state)
{
    (void)state;
    const char text[] = "{\"a\":1.5,\"b\":2}";
    scan_t     s;
    scan_str_t key;
    uint64_t   id    = 7;
    int64_t    value = 7;
    bool       yes;
    uint32_t   count;
    level_t    level;
    scan_init(&s, text, sizeof text - 1);
    assert_int_equal(scan_enter_object(&s), ERR_OK);
    assert_int_equal(scan_member(&s, &key), ERR_OK);
    assert_int_equal(scan_u64(&s, &id), ERR_SCALE);
    const char *const at = s.at;
    assert_int_equal(scan_offset(&s), 5);
    assert_int_equal(scan_u64(&s, &id), ERR_SCALE);
    assert_int_equal(scan_decimal(&s, 1, &value), ERR_SCALE);
    assert_int_equal(scan_skip(&s), ERR_SCALE);
    assert_int_equal(scan_member(&s, &key), ERR_SCALE);
    assert_int_equal(scan_element(&s), ERR_SCALE);
    assert_int_equal(scan_string(&s, &key), ERR_SCALE);
    assert_int_equal(scan_number(&s, &key), ERR_SCALE);
    assert_int_equal(scan_bool(&s, &yes), ERR_SCALE);
    assert_int_equal(scan_levels(&s, 0, 0, &level, 1, &count), ERR_SCALE);
    assert_int_equal(scan_enter_array(&s), ERR_SCALE);
    assert_int_equal(scan_enter_object(&s), ERR_SCALE);
    assert_int_equal(scan_kind(&s), SCAN_NONE);
    assert_false(scan_expect(&s, "1.5", 3));
    assert_int_equal(scan_end(&s), ERR_SCALE);
    assert_ptr_equal(s.at, at);
    assert_int_equal(id, 7);
    assert_int_equal(value, 7);
    assert_string_equal(err_msg(), "json: offset 5: \"1.5\": not written as a whole number");
}

static void test_scan_expect_changes_nothing_when_it_says_no(void **state)
{
    (void)state;
    const char *const text = fenced("{\"e\":\"trade\"}", 13);
    scan_t            s;
    scan_str_t        word;
    scan_init(&s, text, 13);
    assert_false(scan_expect(&s, "{\"E\":", 5));
    assert_false(scan_expect(&s, "{\"e\":\"trade\"} ", 14));
    assert_ptr_equal(s.at, text);
    assert_true(scan_expect(&s, "{\"e\":", 5));
    assert_int_equal(scan_string(&s, &word), ERR_OK);
    assert_true(scan_str_is(&word, "trade", 5));
    assert_true(scan_expect(&s, "}", 1));
    assert_int_equal(scan_end(&s), ERR_OK);
    assert_false(scan_expect(&s, "}", 1));
}

static void test_scan_walk_reads_each_kind(void **state)
{
    (void)state;
    const char text[] =
        " { \"t\" : true , \"f\":false,\"n\":null,\"s\":\"x\",\"i\":42,\"o\":{\"k\":[1,[],{}]},\"\\u0065\":[ ] } ";
    const size_t             len     = sizeof text - 1;
    static const scan_kind_t kinds[] = {SCAN_BOOL,   SCAN_BOOL,   SCAN_NULL, SCAN_STRING,
                                        SCAN_NUMBER, SCAN_OBJECT, SCAN_ARRAY};
    static const char        names[] = "tfnsioe";
    scan_t                   s;
    scan_str_t               key, value;
    bool                     yes;
    unsigned                 i = 0;
    scan_init(&s, fenced(text, len), len);
    assert_int_equal(scan_enter_object(&s), ERR_OK);
    for (; scan_member(&s, &key) == ERR_OK; i++) {
        assert_true(i < 7 && scan_str_is(&key, &names[i], 1));
        assert_int_equal(scan_kind(&s), kinds[i]);
        if (i < 2) {
            assert_int_equal(scan_bool(&s, &yes), ERR_OK);
            assert_int_equal(yes, i == 0);
        } else if (i == 4) {
            assert_int_equal(scan_number(&s, &value), ERR_OK);
            assert_true(scan_str_is(&value, "42", 2));
        } else {
            assert_int_equal(scan_skip(&s), ERR_OK);
        }
    }
    assert_int_equal(i, 7);
    assert_int_equal(scan_end(&s), ERR_OK);
    scan_init(&s, "{\"a\":1", 6);
    scan_enter_object(&s);
    scan_member(&s, &key);
    scan_skip(&s);
    assert_int_equal(scan_end(&s), ERR_TRUNCATED); /* stopped early: an open container is no end */
}

/* ---- duplicate members ------------------------------------------------------------------------------------------- */
static void test_scan_unique_refuses_duplicate_members(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        err_t       err;
    } cases[] = {
        {"{\"a\":1,\"a\":2}", ERR_PARSE},
        {"{\"a\":1,\"\\u0061\":2}", ERR_PARSE},
        {"{\"\xc3\xa9\":1,\"\\u00e9\":2}", ERR_PARSE},
        {"{\"\xf0\x9d\x84\x9e\":1,\"\\ud834\\udd1e\":2}", ERR_PARSE},
        {"{\"a\":{\"a\":1},\"b\":{\"a\":1}}", ERR_OK},
        {"{\"a\":{\"b\":1},\"a\":2}", ERR_PARSE},
        {"[{\"a\":1},{\"a\":1}]", ERR_OK},
        {"{\"a\":[{\"b\":1,\"c\":{\"d\":1},\"b\":1}]}", ERR_PARSE},
        {"{\"\":1,\"\":2}", ERR_PARSE},
        {"{\"a\":1,\"ab\":2,\"b\":3,\"A\":4}", ERR_OK},
        {"{\"a\\u0000\":1,\"a\":2}", ERR_OK},
        {"{\"o\":{},\"x\":[],\"o\":{}}", ERR_PARSE},
        {"{\"\xc3\xa9\":1,\"e\xcc\x81\":2}", ERR_OK}, /* other code points, though they look alike */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(validate_str(cases[i].text, SCAN_UNIQUE), cases[i].err);
        assert_int_equal(validate_str(cases[i].text, 0), ERR_OK);
    }
    size_t offset = 0;
    assert_int_equal(validate("{\"ab\":1,\"ab\":2}", 15, SCAN_UNIQUE, &offset), ERR_PARSE);
    assert_int_equal(offset, 11);
}

static void test_scan_unique_limit(void **state)
{
    (void)state;
    for (unsigned members = SCAN_MEMBERS_MAX - 1; members <= SCAN_MEMBERS_MAX + 1; members++) {
        char   text[8192] = "{";
        size_t len        = 1;
        for (unsigned i = 0; i < members; i++) {
            len += (size_t)sprintf(text + len, "%s\"m%u\":{\"x\":{}}", i > 0 ? "," : "", i);
        }
        text[len++] = '}';
        /* the x of the last member is open beside all the others */
        assert_int_equal(validate(text, len, SCAN_UNIQUE, NULL), members < SCAN_MEMBERS_MAX ? ERR_OK : ERR_LIMIT);
        assert_int_equal(validate(text, len, 0, NULL), ERR_OK);
    }
}

int main(void)
{
    const char *given = getenv("HWAL_SEED");
    seed              = given != NULL ? strtoull(given, NULL, 0) : 20240808;
    printf("HWAL_SEED=%" PRIu64 "\n", seed);
    char *const room = mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED || mprotect(room + ROOM, PAGE, PROT_NONE) != 0) {
        perror("mmap");
        return 1;
    }
    fence                           = room + ROOM;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_validate_equals_model),
        cmocka_unit_test(test_scan_names_first_bad_byte),
        cmocka_unit_test(test_scan_depth_limit),
        cmocka_unit_test(test_scan_utf8_by_code_point),
        cmocka_unit_test(test_scan_escapes_resolve_to_utf8),
        cmocka_unit_test(test_scan_numbers_equal_exact_parse),
        cmocka_unit_test(test_scan_number_refusals),
        cmocka_unit_test(test_scan_levels_equal_generic_walk),
        cmocka_unit_test(test_scan_levels_cuts_at_max),
        cmocka_unit_test(test_scan_first_failure_is_kept),
        cmocka_unit_test(test_scan_expect_changes_nothing_when_it_says_no),
        cmocka_unit_test(test_scan_walk_reads_each_kind),
        cmocka_unit_test(test_scan_unique_refuses_duplicate_members),
        cmocka_unit_test(test_scan_unique_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
