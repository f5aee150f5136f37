#include "adapters/net/scan.h"

#include <assert.h>

#ifdef __SSE4_1__
#include <immintrin.h>
#endif

#include "core/types/decimal.h"

/* ---- failures ---------------------------------------------------------------------------------------------------- */
static err_t __attribute__((cold, noinline)) fail(scan_t *s, const char *at, err_t err, const char *why)
{
    s->at  = at;
    s->err = err;
    if (at == s->end) {
        return err_set(err, "json: offset %zu, end of text: %s", scan_offset(s), why);
    }
    return err_set(err, "json: offset %zu, byte 0x%02x: %s", scan_offset(s), (unsigned char)*at, why);
}

/* The byte at `at` is wrong; or there is none, and then the text merely ends too early. */
static err_t __attribute__((cold, noinline)) wrong(scan_t *s, const char *at, const char *why)
{
    return fail(s, at, at == s->end ? ERR_TRUNCATED : ERR_PARSE, why);
}

static const char *__attribute__((cold, noinline)) wrong_null(scan_t *s, const char *at, const char *why)
{
    wrong(s, at, why);
    return NULL;
}

static err_t __attribute__((cold, noinline)) fail_number(scan_t *s, const scan_str_t *num, err_t err, const char *why)
{
    s->at  = num->text;
    s->err = err;
    return err_set(err, "json: offset %zu: \"%.*s\": %s", scan_offset(s), (int)(num->len < 48 ? num->len : 48),
                   num->text, why);
}

/* ---- bytes ------------------------------------------------------------------------------------------------------- */
static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* A byte that stands for itself in a string: ASCII, no control character, no quote, no backslash. */
static inline bool is_plain(char c)
{
    return (unsigned char)(c - 0x20) < 0x60 && c != '"' && c != '\\';
}

static inline const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

#ifdef __SSE4_1__
/* The 16 bytes at `at`, zeros in place of those behind the end. Near the end the last 16 bytes of the text are loaded
   and moved down, so nothing outside the text is ever read. */
static inline __m128i load16(const scan_t *s, const char *at)
{
    const ptrdiff_t left = s->end - at;
    if (__builtin_expect(left >= 16, 1)) {
        return _mm_loadu_si128((const __m128i *)(const void *)at);
    }
    if (s->end - s->begin < 16) {
        char buf[16] = {0};
        memcpy(buf, at, (size_t)left);
        return _mm_loadu_si128((const __m128i *)(const void *)buf);
    }
    const __m128i tail = _mm_loadu_si128((const __m128i *)(const void *)(s->end - 16));
    /* index 0x70 + j + (16 - left): the low four bits pick a byte, and from 0x80 on, behind the end, pshufb gives 0 */
    const __m128i from =
        _mm_setr_epi8(0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7d, 0x7e, 0x7f);
    return _mm_shuffle_epi8(tail, _mm_add_epi8(from, _mm_set1_epi8((char)(16 - left))));
}

/* The number made of 16 digit values, most significant first. */
static inline uint64_t digits16(__m128i digits)
{
    const __m128i  two   = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010a)); /* 8 x 0..99    */
    const __m128i  four  = _mm_madd_epi16(two, _mm_set1_epi32(0x00010064));   /* 4 x 0..9999  */
    const __m128i  eight = _mm_madd_epi16(_mm_packus_epi32(four, four), _mm_set1_epi32(0x00012710));
    const uint64_t both  = (uint64_t)_mm_cvtsi128_si64(eight); /* low word: high half */
    return (both & 0xffffffffu) * 100000000u + (both >> 32);
}

/* A plain decimal of at most 15 bytes at `at`: digits, perhaps a point and digits, without a needless zero in front.
   Returns the bytes that it takes, and the value times 10^exp in *out; or 0, *out untouched, when unsure: another
   shape, longer, too fine or too large. What stands behind those bytes is the caller's to judge. Without `point` the
   digits alone are taken.
   Zeros at the end of the fraction that exp has no place for are dropped (spot prices come with eight decimals). */
static inline unsigned decimal16(const scan_t *s, const char *at, unsigned exp, bool point, int64_t *out)
{
    const __m128i  digits = _mm_sub_epi8(load16(s, at), _mm_set1_epi8('0'));
    const __m128i  is_one = _mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits);
    const unsigned others = (unsigned)_mm_movemask_epi8(is_one) ^ 0xffffu;
    if (others == 0) {
        return 0;
    }
    const unsigned whole = (unsigned)__builtin_ctz(others);
    unsigned       stop  = whole; /* behind the digits that count */
    unsigned       len   = whole;
    unsigned       frac  = 0;
    unsigned       shift = 0; /* result bytes left of this one skip the point */
    if (whole == 0) {
        return 0;
    }
    if ((int)(whole > 1) & (int)(at[0] == '0')) { /* one test: quantities begin with 0. and with 1 alike */
        return 0;
    }
    if (point && at + whole < s->end && at[whole] == '.') {
        const unsigned behind = others & (others - 1);
        if (behind == 0) {
            return 0;
        }
        len  = (unsigned)__builtin_ctz(behind);
        frac = len - whole - 1;
        if (frac == 0) {
            return 0;
        }
        stop = len;
        if (frac > exp) {
            const unsigned zeros = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(digits, _mm_setzero_si128()));
            const unsigned drop  = ((1u << (frac - exp)) - 1) << (len - (frac - exp));
            if ((zeros & drop) != drop) {
                return 0;
            }
            stop = len - (frac - exp);
            frac = exp;
        }
        shift = 16 - frac;
    }
    /* Result byte j takes text byte j + stop - 16, one further left for the digits before the point; a negative index
       gives the zeros in front. Both rows of indexes are windows into a constant: one load each. */
    static const int8_t slide[32] = {-16, -15, -14, -13, -12, -11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1,
                                     0,   1,   2,   3,   4,   5,   6,   7,  8,  9,  10, 11, 12, 13, 14, 15};
    static const int8_t step[32]  = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    const __m128i       from      = _mm_loadu_si128((const __m128i *)(const void *)(slide + stop));
    const __m128i       left      = _mm_loadu_si128((const __m128i *)(const void *)(step + 16 - shift));
    int64_t             value     = (int64_t)digits16(_mm_shuffle_epi8(digits, _mm_add_epi8(from, left)));
    if (__builtin_mul_overflow(value, pow10_i64(exp - frac), &value)) {
        return 0;
    }
    *out = value;
    return len;
}
#else
static inline unsigned decimal16(const scan_t *s, const char *at, unsigned exp, bool point, int64_t *out)
{
    (void)s, (void)at, (void)exp, (void)point, (void)out;
    return 0; /* always unsure: decimal_parse decides */
}
#endif

/* The first byte at or behind `at` that a string may not hold as it stands, or that needs a look: a quote, a backslash,
   a control character, a byte of a longer UTF-8 sequence; or the end of the text. */
static inline const char *plain_end(const scan_t *s, const char *at)
{
#ifdef __SSE4_1__
    for (; at < s->end; at += 16) {
        const __m128i bytes = load16(s, at); /* behind the end: zeros, which are control characters */
        const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
        const __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
        const __m128i other = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)); /* signed: 0x80..0xff are below too */
        const int     mask  = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), other));
        if (mask != 0) {
            return at + __builtin_ctz((unsigned)mask);
        }
    }
    return s->end; /* the last vector was full and plain */
#else
    while (at < s->end && is_plain(*at)) {
        at++;
    }
    return at;
#endif
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */
static int hex_digit(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Four hex digits of a \u escape. Each is judged as soon as it is there, so that the reported byte is the first one
   that no good text can have: a low surrogate shows with its second digit. Returns NULL after a failure. */
static const char *check_hex4(scan_t *s, const char *at, bool want_low, unsigned *unit)
{
    *unit = 0;
    for (unsigned i = 0; i < 4; i++, at++) {
        const int digit = at < s->end ? hex_digit(*at) : -1;
        if (digit < 0) {
            return wrong_null(s, at, "expected a hex digit of a \\u escape");
        }
        *unit = *unit << 4 | (unsigned)digit;
        if ((i == 0 && want_low && *unit != 0xd) || (i == 1 && want_low != (*unit >= 0xdc && *unit <= 0xdf))) {
            return wrong_null(s, at, "lone surrogate in a \\u escape");
        }
    }
    return at;
}

/* An escape; `at` is its backslash. Returns the byte behind it, NULL after a failure. */
static const char *check_escape(scan_t *s, const char *at)
{
    at++;
    if (at == s->end || *at == '\0' || strchr("\"\\/bfnrtu", *at) == NULL) {
        return wrong_null(s, at, "no such escape");
    }
    if (*at != 'u') {
        return at + 1;
    }
    unsigned unit;
    at = check_hex4(s, at + 1, false, &unit);
    if (at == NULL || unit < 0xd800 || unit > 0xdbff) {
        return at;
    }
    for (const char *want = "\\u"; *want != '\0'; want++, at++) {
        if (at == s->end || *at != *want) {
            return wrong_null(s, at, "lone surrogate in a \\u escape");
        }
    }
    return check_hex4(s, at, true, &unit);
}

/* A UTF-8 sequence of two to four bytes (RFC 3629, section 4: the second byte's range is what keeps out overlong
   forms, surrogates and what lies above U+10FFFF). Returns the byte behind it, NULL after a failure. */
static const char *check_utf8(scan_t *s, const char *at)
{
    const unsigned char lead = (unsigned char)*at;
    if (lead < 0xc2 || lead > 0xf4) {
        return wrong_null(s, at, "not UTF-8");
    }
    const unsigned len  = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    unsigned char  low  = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char  high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    for (unsigned i = 1; i < len; i++) {
        at++;
        if (at == s->end || (unsigned char)*at < low || (unsigned char)*at > high) {
            return wrong_null(s, at, "not UTF-8");
        }
        low  = 0x80;
        high = 0xbf;
    }
    return at + 1;
}

/* A string whose opening quote is at `at`. Fills *out and returns the byte behind the closing quote, or NULL. */
static inline const char *take_string(scan_t *s, const char *at, scan_str_t *out)
{
    const char *first   = ++at;
    bool        escaped = false;
    for (;;) {
        at = plain_end(s, at);
        if (__builtin_expect(at < s->end && *at == '"', 1)) {
            *out = (scan_str_t){.text = first, .len = (size_t)(at - first), .escaped = escaped};
            return at + 1;
        }
        if (at == s->end) {
            return wrong_null(s, at, "expected the end of a string");
        }
        if (*at == '\\') {
            escaped = true;
            at      = check_escape(s, at);
        } else if ((unsigned char)*at >= 0x80) {
            at = check_utf8(s, at);
        } else {
            return wrong_null(s, at, "control character in a string");
        }
        if (at == NULL) {
            return NULL;
        }
    }
}

/* One code point's worth of a checked string, as UTF-8; *at moves behind it. Bytes that are no escape go one by one. */
static size_t resolve(const char **at, char out[4])
{
    const char *p = *at;
    if (*p != '\\') {
        out[0] = *p;
        *at    = p + 1;
        return 1;
    }
    static const char letters[] = "bfnrt";
    static const char values[]  = "\b\f\n\r\t";
    const char       *letter    = strchr(letters, p[1]);
    if (p[1] != 'u') {
        out[0] = letter != NULL ? values[letter - letters] : p[1];
        *at    = p + 2;
        return 1;
    }
    unsigned code = 0;
    for (unsigned i = 2; i < 6; i++) {
        code = code << 4 | (unsigned)hex_digit(p[i]);
    }
    *at = p + 6;
    if (code >= 0xd800 && code <= 0xdbff) {
        unsigned low = 0;
        for (unsigned i = 8; i < 12; i++) {
            low = low << 4 | (unsigned)hex_digit(p[i]);
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        *at  = p + 12;
    }
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    const size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6) {
        out[i] = (char)(0x80 | (code & 0x3f));
    }
    out[0] = (char)((0xf00u >> len & 0xf0) | code);
    return len;
}

err_t scan_str_copy(const scan_str_t *str, char *buf, size_t cap, size_t *len)
{
    size_t used = 0;
    for (const char *at = str->text; at < str->text + str->len;) {
        char         bytes[4];
        const size_t count = resolve(&at, bytes);
        if (cap <= count || used >= cap - count) {
            return err_set(ERR_LIMIT, "json: string of %zu bytes does not fit into %zu", str->len, cap);
        }
        memcpy(buf + used, bytes, count);
        used += count;
    }
    if (cap == 0) {
        return err_set(ERR_LIMIT, "json: string of %zu bytes does not fit into 0", str->len);
    }
    buf[used] = '\0';
    *len      = used;
    return ERR_OK;
}

bool scan_str_is_escaped(const scan_str_t *str, const char *literal, size_t len)
{
    size_t used = 0;
    for (const char *at = str->text; at < str->text + str->len;) {
        char         bytes[4];
        const size_t count = resolve(&at, bytes);
        if (count > len - used || memcmp(literal + used, bytes, count) != 0) {
            return false;
        }
        used += count;
    }
    return used == len;
}

/* ---- numbers and words ------------------------------------------------------------------------------------------- */
/* The number of RFC 8259, section 6, that begins at `at`. Returns the byte behind it; or NULL, and *bad is the byte
   that cannot be there (end when it is missing). */
static const char *number_end(const char *at, const char *end, const char **bad)
{
    if (at < end && *at == '-') {
        at++;
    }
    *bad = at;
    if (at == end || !is_digit(*at)) {
        return NULL;
    }
    if (*at++ != '0') {
        while (at < end && is_digit(*at)) {
            at++;
        }
    }
    if (at < end && *at == '.') {
        *bad = ++at;
        while (at < end && is_digit(*at)) {
            at++;
        }
        if (at == *bad) {
            return NULL;
        }
    }
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        at += at < end && (*at == '+' || *at == '-') ? 1 : 0;
        *bad = at;
        while (at < end && is_digit(*at)) {
            at++;
        }
        if (at == *bad) {
            return NULL;
        }
    }
    return at;
}

static const char *take_number(scan_t *s, const char *at)
{
    const char *bad;
    const char *end = number_end(at, s->end, &bad);
    return end != NULL ? end : wrong_null(s, bad, "expected a digit");
}

static const char *take_word(scan_t *s, const char *at, const char *word)
{
    for (; *word != '\0'; word++, at++) {
        if (at == s->end || *at != *word) {
            return wrong_null(s, at, "expected true, false or null");
        }
    }
    return at;
}

/* ---- containers -------------------------------------------------------------------------------------------------- */
static inline err_t enter(scan_t *s, const char *at, bool object)
{
    if (s->depth == SCAN_DEPTH_MAX) {
        return fail(s, at, ERR_LIMIT, "nested deeper than 64");
    }
    const uint64_t bit = 1ull << s->depth;
    s->kinds           = object ? s->kinds | bit : s->kinds & ~bit;
    s->depth++;
    s->fresh = true;
    s->at    = at + 1;
    return ERR_OK;
}

static inline err_t leave(scan_t *s, const char *at)
{
    s->depth--;
    s->fresh = false;
    s->at    = at + 1;
    return ERR_END;
}

static inline bool in_object(const scan_t *s)
{
    return s->depth > 0 && (s->kinds >> (s->depth - 1) & 1) != 0;
}

err_t scan_enter_object(scan_t *s)
{
    if (s->err != ERR_OK) {
        return s->err;
    }
    const char *at = skip_space(s->at, s->end);
    return at < s->end && *at == '{' ? enter(s, at, true) : wrong(s, at, "expected an object");
}

err_t scan_enter_array(scan_t *s)
{
    if (s->err != ERR_OK) {
        return s->err;
    }
    const char *at = skip_space(s->at, s->end);
    return at < s->end && *at == '[' ? enter(s, at, false) : wrong(s, at, "expected an array");
}

err_t scan_member(scan_t *s, scan_str_t *key)
{
    if (s->err != ERR_OK) {
        return s->err;
    }
    assert(in_object(s));
    const char *at = skip_space(s->at, s->end);
    if (at < s->end && *at == '}') {
        return leave(s, at);
    }
    if (!s->fresh) {
        if (at == s->end || *at != ',') {
            return wrong(s, at, "expected ',' or '}'");
        }
        at = skip_space(at + 1, s->end);
    }
    if (at == s->end || *at != '"') {
        return wrong(s, at, "expected a member's name");
    }
    if (s->end - at > 3 && at[2] == '"' && is_plain(at[1])) { /* venues like names of one letter */
        *key = (scan_str_t){.text = at + 1, .len = 1};
        at += 3;
    } else {
        at = take_string(s, at, key);
        if (at == NULL) {
            return s->err;
        }
    }
    at = skip_space(at, s->end);
    if (at == s->end || *at != ':') {
        return wrong(s, at, "expected ':'");
    }
    s->fresh = false;
    s->at    = at + 1;
    return ERR_OK;
}

err_t scan_element(scan_t *s)
{
    if (s->err != ERR_OK) {
        return s->err;
    }
    assert(s->depth > 0 && !in_object(s));
    const char *at = skip_space(s->at, s->end);
    if (at < s->end && *at == ']') {
        return leave(s, at);
    }
    if (!s->fresh) {
        if (at == s->end || *at != ',') {
            return wrong(s, at, "expected ',' or ']'");
        }
        at++;
    }
    if (at == s->end) {
        return wrong(s, at, "expected a value");
    }
    s->fresh = false;
    s->at    = at;
    return ERR_OK;
}

err_t scan_end(scan_t *s)
{
    if (s->err != ERR_OK) {
        return s->err;
    }
    const char *at = skip_space(s->at, s->end);
    if (at < s->end || s->depth > 0) {
        return wrong(s, at, s->depth > 0 ? "a container is still open" : "bytes behind the document");
    }
    s->at = at;
    return ERR_OK;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */
scan_kind_t scan_kind(scan_t *s)
{
    s->at = s->err == ERR_OK ? skip_space(s->at, s->end) : s->at;
    switch (s->err == ERR_OK && s->at < s->end ? *s->at : '\0') {
    case '{': return SCAN_OBJECT;
    case '[': return SCAN_ARRAY;
    case '"': return SCAN_STRING;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return SCAN_NUMBER;
    case 't':
    case 'f': return SCAN_BOOL;
    case 'n': return SCAN_NULL;
    default: return SCAN_NONE;
    }
}

err_t scan_string(scan_t *s, scan_str_t *out)
{
    if (s->err != ERR_OK) {
        return s->err;
    }
    const char *at = skip_space(s->at, s->end);
    if (at == s->end || *at != '"') {
        return wrong(s, at, "expected a string");
    }
    at = take_string(s, at, out);
    if (at != NULL) {
        s->at = at;
    }
    return s->err;
}

err_t scan_number(scan_t *s, scan_str_t *out)
{
    if (s->err != ERR_OK) {
        return s->err;
    }
    const char *at = skip_space(s->at, s->end);
    const char *to = take_number(s, at);
    if (to != NULL) {
        *out  = (scan_str_t){.text = at, .len = (size_t)(to - at)};
        s->at = to;
    }
    return s->err;
}

err_t scan_bool(scan_t *s, bool *out)
{
    if (s->err != ERR_OK) {
        return s->err;
    }
    const char *at   = skip_space(s->at, s->end);
    const bool  yes  = at < s->end && *at == 't';
    const char *next = take_word(s, at, yes ? "true" : "false");
    if (next != NULL) {
        *out  = yes;
        s->at = next;
    }
    return s->err;
}

/* The text of a number, bare or quoted, whose grammar holds. */
static err_t number_text(scan_t *s, scan_str_t *num)
{
    if (scan_kind(s) != SCAN_STRING) {
        return scan_number(s, num);
    }
    const char *bad;
    if (scan_string(s, num) == ERR_OK && number_end(num->text, num->text + num->len, &bad) != num->text + num->len) {
        return fail_number(s, num, ERR_PARSE, "not a number");
    }
    return s->err;
}

static err_t __attribute__((noinline)) decimal_exact(scan_t *s, unsigned exp, int64_t *out)
{
    scan_str_t num;
    if (number_text(s, &num) != ERR_OK) {
        return s->err;
    }
    const err_t err = decimal_parse(num.text, num.len, exp, out);
    return err == ERR_OK
               ? err
               : fail_number(s, &num, err, err == ERR_SCALE ? "finer than the scale" : "does not fit an int64");
}

static err_t __attribute__((noinline)) u64_exact(scan_t *s, uint64_t *out)
{
    scan_str_t num;
    if (number_text(s, &num) != ERR_OK) {
        return s->err;
    }
    uint64_t value = 0;
    bool     fits  = num.text[0] != '-';
    for (size_t i = fits ? 0 : 1; i < num.len; i++) {
        if (!is_digit(num.text[i])) {
            return fail_number(s, &num, ERR_SCALE, "not written as a whole number");
        }
        fits = fits && !__builtin_mul_overflow(value, 10u, &value) &&
               !__builtin_add_overflow(value, (uint64_t)(num.text[i] - '0'), &value);
    }
    if (!fits) {
        return fail_number(s, &num, ERR_RANGE, "does not fit a uint64");
    }
    *out = value;
    return ERR_OK;
}

/* Where the value behind a fast number goes on: behind its quote, or at the delimiter that ends a bare one. NULL when
   the number is not over there and the exact path must judge. */
static inline const char *number_close(const scan_t *s, const char *at, bool quoted)
{
    if (at == s->end) {
        return NULL;
    }
    if (quoted) {
        return *at == '"' ? at + 1 : NULL;
    }
    return *at == ',' || *at == '}' || *at == ']' ? at : NULL;
}

err_t scan_decimal(scan_t *s, unsigned exp, int64_t *out)
{
    if (s->err != ERR_OK) {
        return s->err;
    }
    assert(exp <= DECIMAL_EXP_MAX);
    const char    *at     = skip_space(s->at, s->end);
    const bool     quoted = at < s->end && *at == '"';
    int64_t        value;
    const unsigned len  = decimal16(s, at + quoted, exp, true, &value);
    const char    *next = len > 0 ? number_close(s, at + quoted + len, quoted) : NULL;
    if (next == NULL) {
        return decimal_exact(s, exp, out);
    }
    *out  = value;
    s->at = next;
    return ERR_OK;
}

err_t scan_u64(scan_t *s, uint64_t *out)
{
    if (s->err != ERR_OK) {
        return s->err;
    }
    const char    *at     = skip_space(s->at, s->end);
    const bool     quoted = at < s->end && *at == '"';
    int64_t        value;
    const unsigned len  = decimal16(s, at + quoted, 0, false, &value);
    const char    *next = len > 0 ? number_close(s, at + quoted + len, quoted) : NULL;
    if (next == NULL) {
        return u64_exact(s, out);
    }
    *out  = (uint64_t)value;
    s->at = next;
    return ERR_OK;
}

/* ---- levels ------------------------------------------------------------------------------------------------------ */
/* len itself, but when it is the length that was guessed the processor goes on with the guess and need not wait for
   the vector work that found len: successive prices mostly have one length, and that wait is most of a level's time. */
static inline unsigned expect_len(unsigned len, unsigned guess)
{
    if (len == guess) {
        __asm__("" : "+r"(guess)); /* or the compiler would see that the two are one */
        return guess;
    }
    return len;
}

/* Levels ["px","qty"] with nothing else in them and one comma between. Stops behind the last one that was plainly
   there; returns how many, 0 with nothing changed when the first is not. */
static uint32_t levels_fast(scan_t *s, unsigned px_exp, unsigned qty_exp, level_t *out, uint32_t max)
{
    const char *at     = s->at;
    unsigned    px_len = 0;
    for (uint32_t n = 0; n < max; n++) {
        if (s->end - at < 2 || memcmp(at, "[\"", 2) != 0) {
            return n;
        }
        at += 2;
        px_len = expect_len(decimal16(s, at, px_exp, true, &out[n].px), px_len);
        at += px_len;
        if (px_len == 0 || s->end - at < 3 || memcmp(at, "\",\"", 3) != 0) {
            return n;
        }
        at += 3;
        const unsigned qty_len = decimal16(s, at, qty_exp, true, &out[n].qty);
        at += qty_len;
        if (qty_len == 0 || s->end - at < 3 || memcmp(at, "\"]", 2) != 0) {
            return n;
        }
        s->at = at + 2;
        if (at[2] != ',') {
            return n + 1;
        }
        at += 3;
    }
    return max;
}

static err_t __attribute__((noinline)) level_exact(scan_t *s, unsigned px_exp, unsigned qty_exp, level_t *out)
{
    scan_enter_array(s);
    for (unsigned i = 0; i < 2 && s->err == ERR_OK; i++) {
        if (scan_element(s) == ERR_END) {
            return fail(s, s->at - 1, ERR_PARSE, "a level needs a price and a quantity");
        }
        scan_decimal(s, i == 0 ? px_exp : qty_exp, i == 0 ? &out->px : &out->qty);
    }
    while (s->err == ERR_OK && scan_element(s) == ERR_OK) {
        scan_skip(s);
    }
    return s->err;
}

err_t scan_levels(scan_t *s, unsigned px_exp, unsigned qty_exp, level_t *out, uint32_t max, uint32_t *count)
{
    *count = 0;
    if (s->err != ERR_OK) {
        return s->err;
    }
    assert(max > 0 && px_exp <= DECIMAL_EXP_MAX && qty_exp <= DECIMAL_EXP_MAX);
    if (!s->levels_open) {
        const err_t err = scan_enter_array(s) == ERR_OK ? scan_element(s) : s->err;
        if (err != ERR_OK) {
            return err == ERR_END ? ERR_OK : err;
        }
    }
    s->levels_open = false;
    for (uint32_t n = 0;;) {
        const uint32_t fast = levels_fast(s, px_exp, qty_exp, &out[n], max - n);
        if (fast == 0 && level_exact(s, px_exp, qty_exp, &out[n]) != ERR_OK) {
            return s->err;
        }
        n += fast > 0 ? fast : 1;
        *count          = n;
        const err_t err = scan_element(s);
        if (err != ERR_OK) {
            return err == ERR_END ? ERR_OK : err;
        }
        if (n == max) {
            s->levels_open = true;
            return ERR_FULL;
        }
    }
}

/* ---- whole values and documents ---------------------------------------------------------------------------------- */
/* The members of all open objects, outermost first; SCAN_UNIQUE compares a new one with those of its own object. */
typedef struct members {
    uint32_t count;
    uint32_t first[SCAN_DEPTH_MAX + 1]; /* by depth: where the members of the object at that depth begin */
    struct member {
        scan_str_t key;
        uint64_t   hash;
    } member[SCAN_MEMBERS_MAX];
} members_t;

static bool str_equal(const scan_str_t *a, const scan_str_t *b)
{
    const char *at_a = a->text, *end_a = a->text + a->len;
    const char *at_b = b->text, *end_b = b->text + b->len;
    char        bytes_a[4], bytes_b[4];
    size_t      left_a = 0, left_b = 0, used_a = 0, used_b = 0; /* an escape gives up to four bytes, plain text one */
    for (;;) {
        if (used_a == left_a && at_a < end_a) {
            left_a = resolve(&at_a, bytes_a);
            used_a = 0;
        }
        if (used_b == left_b && at_b < end_b) {
            left_b = resolve(&at_b, bytes_b);
            used_b = 0;
        }
        if (used_a == left_a || used_b == left_b) {
            return used_a == left_a && used_b == left_b;
        }
        if (bytes_a[used_a++] != bytes_b[used_b++]) {
            return false;
        }
    }
}

static err_t add_member(scan_t *s, members_t *m, const scan_str_t *key)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a of the resolved key: equal keys have equal hashes */
    for (const char *at = key->text; at < key->text + key->len;) {
        char         bytes[4];
        const size_t count = resolve(&at, bytes);
        for (size_t i = 0; i < count; i++) {
            hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
        }
    }
    for (uint32_t i = m->first[s->depth]; i < m->count; i++) {
        if (m->member[i].hash == hash && str_equal(&m->member[i].key, key)) {
            return fail(s, key->text + key->len, ERR_PARSE, "the object has this member twice");
        }
    }
    if (m->count == SCAN_MEMBERS_MAX) {
        return fail(s, key->text + key->len, ERR_LIMIT, "more than 256 members open at once");
    }
    m->member[m->count++] = (struct member){.key = *key, .hash = hash};
    return ERR_OK;
}

/* Takes a value, or only enters it when it is a container. */
static inline err_t take(scan_t *s)
{
    scan_str_t  str;
    const char *at = skip_space(s->at, s->end);
    switch (at < s->end ? *at : '\0') {
    case '{': return enter(s, at, true);
    case '[': return enter(s, at, false);
    case '"': at = take_string(s, at, &str); break;
    case 't': at = take_word(s, at, "true"); break;
    case 'f': at = take_word(s, at, "false"); break;
    case 'n': at = take_word(s, at, "null"); break;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': at = take_number(s, at); break;
    default: return wrong(s, at, "expected a value");
    }
    if (at != NULL) {
        s->at = at;
    }
    return s->err;
}

/* One value of any kind and all that is in it. m may be NULL. */
static err_t walk(scan_t *s, members_t *m)
{
    const uint32_t base = s->depth;
    err_t          err  = take(s);
    if (m != NULL) {
        m->first[s->depth] = 0;
    }
    while (err == ERR_OK && s->depth > base) {
        const uint32_t depth = s->depth;
        if (in_object(s)) {
            scan_str_t key;
            err = scan_member(s, &key);
            if (err == ERR_OK && m != NULL) {
                err = add_member(s, m, &key);
            }
        } else {
            err = scan_element(s);
        }
        if (err == ERR_OK) {
            err = take(s);
            if (m != NULL && s->depth > depth) {
                m->first[s->depth] = m->count;
            }
        } else if (err == ERR_END) {
            err = ERR_OK;
            if (m != NULL) {
                m->count = m->first[depth];
            }
        }
    }
    return err;
}

err_t scan_skip(scan_t *s)
{
    return s->err != ERR_OK ? s->err : walk(s, NULL);
}

err_t scan_validate(const char *text, size_t len, unsigned flags, size_t *offset)
{
    scan_t s;
    scan_init(&s, text, len);
    if ((flags & SCAN_UNIQUE) != 0) {
        members_t m;
        m.count = 0;
        walk(&s, &m);
    } else {
        walk(&s, NULL);
    }
    const err_t err = scan_end(&s);
    if (err != ERR_OK && offset != NULL) {
        *offset = scan_offset(&s);
    }
    return err;
}
