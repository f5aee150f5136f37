#include "tests/lib/json_model.h"

#include <string.h>

typedef struct input {
    const unsigned char *at;
    size_t               left;
} input_t;

static int peek(const input_t *in)
{
    return in->left > 0 ? in->at[0] : -1;
}

static int next(input_t *in)
{
    const int c = peek(in);
    if (c >= 0) {
        in->at++;
        in->left--;
    }
    return c;
}

static void space(input_t *in)
{
    while (peek(in) == 0x20 || peek(in) == 0x09 || peek(in) == 0x0a || peek(in) == 0x0d) {
        next(in);
    }
}

static bool word(input_t *in, const char *want)
{
    while (*want != '\0' && next(in) == *want) {
        want++;
    }
    return *want == '\0';
}

static bool some_digits(input_t *in)
{
    unsigned count = 0;
    for (; peek(in) >= '0' && peek(in) <= '9'; count++) {
        next(in);
    }
    return count > 0;
}

static bool number(input_t *in)
{
    if (peek(in) == '-') {
        next(in);
    }
    if (peek(in) == '0') {
        next(in);
    } else if (!some_digits(in)) {
        return false;
    }
    if (peek(in) == '.') {
        next(in);
        if (!some_digits(in)) {
            return false;
        }
    }
    if (peek(in) == 'e' || peek(in) == 'E') {
        next(in);
        if (peek(in) == '+' || peek(in) == '-') {
            next(in);
        }
        return some_digits(in);
    }
    return true;
}

static bool hex4(input_t *in, unsigned *unit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    *unit                      = 0;
    for (int i = 0; i < 4; i++) {
        const int   c     = next(in);
        const char *digit = c > 0 ? strchr(digits, c) : NULL;
        if (digit == NULL) {
            return false;
        }
        *unit = *unit * 16 + (unsigned)(digit - digits) % 16;
    }
    return true;
}

static bool escape(input_t *in)
{
    unsigned unit, low;
    switch (next(in)) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return true;
    case 'u': break;
    default: return false;
    }
    if (!hex4(in, &unit)) {
        return false;
    }
    if (unit < 0xd800 || unit > 0xdfff) {
        return true;
    }
    return unit <= 0xdbff && next(in) == '\\' && next(in) == 'u' && hex4(in, &low) && low >= 0xdc00 && low <= 0xdfff;
}

/* Decodes first and judges the code point then. */
static bool utf8_rest(input_t *in, int lead)
{
    const unsigned more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    unsigned       code = (unsigned)lead & (0x3fu >> more);
    if (lead < 0xc0 || lead > 0xf7) {
        return false;
    }
    for (unsigned i = 0; i < more; i++) {
        const int c = next(in);
        if (c < 0x80 || c > 0xbf) {
            return false;
        }
        code = code << 6 | ((unsigned)c & 0x3f);
    }
    const unsigned least = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
    return code >= least && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

static bool string(input_t *in)
{
    if (next(in) != '"') {
        return false;
    }
    for (;;) {
        const int c = next(in);
        if (c == '"') {
            return true;
        }
        if (c < 0x20 || (c == '\\' && !escape(in)) || (c >= 0x80 && !utf8_rest(in, c))) {
            return false;
        }
    }
}

static bool value(input_t *in, unsigned depth_left)
{
    space(in);
    const int open = peek(in);
    switch (open) {
    case '"': return string(in);
    case 't': return word(in, "true");
    case 'f': return word(in, "false");
    case 'n': return word(in, "null");
    case '{':
    case '[': break;
    default: return number(in);
    }
    const int close = open == '{' ? '}' : ']';
    next(in);
    if (depth_left == 0) {
        return false;
    }
    space(in);
    if (peek(in) == close) {
        next(in);
        return true;
    }
    for (;;) {
        space(in);
        if (open == '{') {
            if (!string(in)) {
                return false;
            }
            space(in);
            if (next(in) != ':') {
                return false;
            }
        }
        if (!value(in, depth_left - 1)) {
            return false;
        }
        space(in);
        const int c = next(in);
        if (c == close) {
            return true;
        }
        if (c != ',') {
            return false;
        }
    }
}

bool json_model_valid(const char *text, size_t len, unsigned depth_max)
{
    input_t in = {.at = (const unsigned char *)text, .left = len};
    if (!value(&in, depth_max)) {
        return false;
    }
    space(&in);
    return in.left == 0;
}
