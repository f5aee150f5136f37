#include "adapters/files/candles.h"

#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/types/decimal.h"
#include "core/types/time.h"

#define GZIP_MAGIC 0x1f
#define YEAR_MIN 1970 /* years whose every instant fits 64 bits of ns since the epoch */
#define YEAR_MAX 2261
#define UNIT_MIN_MAX 10080 /* minutes of a candle: up to a week */
#define NUMBER_MAX 40      /* bytes of one number in CSV, commas included */

typedef struct text {
    char  *data;
    size_t len;
} text_t;

/* ---- file to text ------------------------------------------------------------------------------------------------ */
static err_t read_all(int fd, const char *path, text_t *out)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return err_set(ERR_IO, "candles: %s: no regular file", path);
    }
    if (st.st_size > CANDLES_TEXT_MAX) {
        return err_set(ERR_LIMIT, "candles: %s: %jd bytes, at most %u", path, (intmax_t)st.st_size, CANDLES_TEXT_MAX);
    }
    const size_t size = (size_t)st.st_size;
    out->data         = malloc(size + 1);
    if (out->data == NULL) {
        return err_set(ERR_IO, "candles: %s: no memory for %zu bytes", path, size);
    }
    while (out->len < size) {
        const ssize_t n = read(fd, out->data + out->len, size - out->len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return err_set(ERR_IO, "candles: %s: read: %s", path, n < 0 ? strerror(errno) : "the file has shrunk");
        }
        out->len += (size_t)n;
    }
    return ERR_OK;
}

static err_t grow(const char *path, text_t *out, size_t *room)
{
    if (*room == CANDLES_TEXT_MAX) {
        return err_set(ERR_LIMIT, "candles: %s: more than %u bytes of text", path, CANDLES_TEXT_MAX);
    }
    const size_t more = *room == 0 ? 1u << 20 : *room * 2;
    char *const  data = realloc(out->data, more);
    if (data == NULL) {
        return err_set(ERR_IO, "candles: %s: no memory for %zu bytes", path, more);
    }
    out->data = data;
    *room     = more;
    return ERR_OK;
}

_Static_assert((CANDLES_TEXT_MAX & (CANDLES_TEXT_MAX - 1)) == 0, "doubling meets the limit exactly");

static void member_start(struct inflate_state *z, const uint8_t *in, size_t len)
{
    isal_inflate_init(z);
    z->crc_flag = ISAL_GZIP; /* header read, checksum verified */
    z->next_in  = (uint8_t *)(uintptr_t)in;
    z->avail_in = (uint32_t)len;
}

/* Several members may follow each other. */
static err_t inflate_all(const char *path, const text_t *in, text_t *out)
{
    struct inflate_state z;
    size_t               room = 0;
    member_start(&z, (const uint8_t *)in->data, in->len);
    for (;;) {
        if (out->len == room) {
            const err_t err = grow(path, out, &room);
            if (err != ERR_OK) {
                return err;
            }
        }
        z.next_out   = (uint8_t *)out->data + out->len;
        z.avail_out  = (uint32_t)(room - out->len);
        const int rc = isal_inflate(&z);
        out->len     = room - z.avail_out;
        if (rc < 0) {
            return err_set(ERR_PARSE, "candles: %s: gzip data are damaged (inflate code %d)", path, rc);
        }
        if (z.block_state == ISAL_BLOCK_FINISH) {
            if (z.avail_in == 0) {
                return ERR_OK;
            }
            if (*z.next_in != GZIP_MAGIC) {
                return err_set(ERR_PARSE, "candles: %s: bytes after the gzip data", path);
            }
            member_start(&z, z.next_in, z.avail_in);
        } else if (z.avail_in == 0 && z.avail_out > 0) {
            return err_set(ERR_TRUNCATED, "candles: %s: gzip data end in the middle", path);
        }
    }
}

/* out->data is the caller's to free, whatever the answer. */
static err_t load(const char *path, text_t *out)
{
    *out         = (text_t){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return err_set(ERR_IO, "candles: %s: %s", path, strerror(errno));
    }
    err_t err = read_all(fd, path, out);
    close(fd);
    if (err == ERR_OK && out->len > 0 && out->data[0] == GZIP_MAGIC) {
        const text_t packed = *out;
        *out                = (text_t){0};
        err                 = inflate_all(path, &packed, out);
        free(packed.data);
    }
    return err;
}

/* ---- what both formats share ------------------------------------------------------------------------------------- */
static err_t begin(const char *path, candles_t *out)
{
    out->count     = 0;
    out->market[0] = 0;
    if (out->px_exp > CANDLES_EXP_MAX || out->qty_exp > CANDLES_EXP_MAX) {
        return err_set(ERR_ARG, "candles: %s: scales %u and %u, at most %u", path, out->px_exp, out->qty_exp,
                       CANDLES_EXP_MAX);
    }
    return ERR_OK;
}

/* pattern: letters YMDhms stand for digits, everything else for itself. */
static bool utc_parse(const char *text, size_t len, const char *pattern, int64_t *ns)
{
    static const char parts[] = "YMDhms";
    int               part[6] = {0};
    if (len != strlen(pattern)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        const char *which = strchr(parts, pattern[i]);
        if (which == NULL) {
            if (text[i] != pattern[i]) {
                return false;
            }
            continue;
        }
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        part[which - parts] = part[which - parts] * 10 + (text[i] - '0');
    }
    const struct tm asked = {.tm_year = part[0] - 1900,
                             .tm_mon  = part[1] - 1,
                             .tm_mday = part[2],
                             .tm_hour = part[3],
                             .tm_min  = part[4],
                             .tm_sec  = part[5]};
    struct tm       real  = asked; /* timegm turns 30 February into 1 March: then the month differs */
    const time_t    s     = timegm(&real);
    if (part[0] < YEAR_MIN || part[0] > YEAR_MAX || real.tm_mon != asked.tm_mon || real.tm_hour != asked.tm_hour ||
        real.tm_min != asked.tm_min || real.tm_sec != asked.tm_sec) {
        return false;
    }
    *ns = (int64_t)s * NS_PER_S;
    return true;
}

static const char *why(err_t err)
{
    return err == ERR_SCALE ? "finer than the scale" : err == ERR_RANGE ? "does not fit" : "not a number";
}

/* ---- Upbit ------------------------------------------------------------------------------------------------------- */
typedef struct upbit {
    const char   *path;
    const text_t *text;
    const json_t *candle;
    size_t        index; /* in the array */
} upbit_t;

/* The line on which the candle begins: behind so many commas of the outer array. The text is known to be good JSON. */
static size_t line_of(const upbit_t *u)
{
    size_t line = 1, depth = 0, commas = 0;
    bool   string = false;
    for (const char *c = u->text->data, *end = c + u->text->len; c < end; c++) {
        if (string) {
            string = *c != '"';
            c += *c == '\\';
            continue;
        }
        const bool here = depth == 1 && commas == u->index && strchr(" \t\r\n", *c) == NULL;
        if (here) {
            break;
        }
        string = *c == '"';
        line += *c == '\n';
        commas += depth == 1 && *c == ',';
        depth += *c == '{' || *c == '[';
        depth -= *c == '}' || *c == ']';
    }
    return line;
}

static err_t upbit_fault(const upbit_t *u, err_t err, const char *key, const json_t *v, const char *reason)
{
    char         value[64] = "missing";
    const size_t len       = v != NULL ? json_dumpb(v, value, sizeof(value) - 1, JSON_ENCODE_ANY) : strlen(value);
    value[len < sizeof(value) ? len : sizeof(value) - 1] = 0;
    return err_set(err, "candles: %s line %zu: %s: %s: %s", u->path, line_of(u), key, value, reason);
}

/* The shortest text that denotes the double: what was written, if it was written with up to 15 digits. */
static size_t shortest(double value, char *text, size_t room)
{
    int len = 0;
    for (int digits = 15; digits <= 17; digits++) {
        len = snprintf(text, room, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    return (size_t)len;
}

static err_t number(const json_t *v, unsigned exp, i128_t *out)
{
    if (json_is_integer(v)) {
        *out = mul_i64(json_integer_value(v), pow10_i64(exp));
        return ERR_OK;
    }
    if (!json_is_real(v)) {
        return ERR_PARSE;
    }
    char         text[NUMBER_MAX];
    const size_t len = shortest(json_real_value(v), text, sizeof(text));
    int64_t      digits;
    err_t        err    = ERR_RANGE;
    unsigned     coarse = 0; /* 17 digits fit 64 bits at some scale, if not at this one */
    for (; coarse <= exp && err == ERR_RANGE; coarse++) {
        err = decimal_parse(text, len, exp - coarse, &digits);
    }
    if (err == ERR_OK) {
        *out = mul_i64(digits, pow10_i64(coarse - 1));
    }
    return err;
}

static err_t upbit_number(const upbit_t *u, const char *key, unsigned exp, i128_t *out)
{
    const json_t *v   = json_object_get(u->candle, key);
    const err_t   err = number(v, exp, out);
    return err == ERR_OK ? ERR_OK : upbit_fault(u, err, key, v, why(err));
}

static err_t upbit_px(const upbit_t *u, const char *key, unsigned exp, int64_t *out)
{
    i128_t      px;
    const err_t err = upbit_number(u, key, exp, &px);
    if (err == ERR_OK && !fit_i64(px, out)) {
        return upbit_fault(u, ERR_RANGE, key, json_object_get(u->candle, key), why(ERR_RANGE));
    }
    return err;
}

static err_t upbit_times(const upbit_t *u, bar_t *bar)
{
    static const char when[] = "candle_date_time_utc";
    const json_t     *v      = json_object_get(u->candle, when);
    if (!json_is_string(v) ||
        !utc_parse(json_string_value(v), json_string_length(v), "YYYY-MM-DDThh:mm:ss", &bar->ts_begin_ns)) {
        return upbit_fault(u, ERR_PARSE, when, v, "not a time YYYY-MM-DDThh:mm:ss of 1970..2261");
    }
    v = json_object_get(u->candle, "unit");
    if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > UNIT_MIN_MAX) {
        return upbit_fault(u, ERR_PARSE, "unit", v, "not a number of minutes 1..10080");
    }
    bar->ts_end_ns = bar->ts_begin_ns + json_integer_value(v) * 60 * NS_PER_S;
    return ERR_OK;
}

static err_t upbit_market(const upbit_t *u, candles_t *out)
{
    const json_t *v = json_object_get(u->candle, "market");
    if (!json_is_string(v) || json_string_length(v) == 0 || json_string_length(v) > CANDLES_MARKET_MAX) {
        return upbit_fault(u, ERR_PARSE, "market", v, "not a name of 1..23 bytes");
    }
    if (u->index == 0) {
        memcpy(out->market, json_string_value(v), json_string_length(v) + 1);
    } else if (strcmp(out->market, json_string_value(v)) != 0) {
        return upbit_fault(u, ERR_PARSE, "market", v, "not that of the first candle");
    }
    return ERR_OK;
}

static err_t upbit_candle(const upbit_t *u, candles_t *out, bar_t *bar)
{
    *bar      = (bar_t){.known = BAR_PX | BAR_KNOWS_VALUE};
    err_t err = json_is_object(u->candle) ? upbit_market(u, out)
                                          : upbit_fault(u, ERR_PARSE, "candle", u->candle, "not an object");
    const struct {
        const char *key;
        int64_t    *to;
    } px[] = {{"opening_price", &bar->open},
              {"high_price", &bar->high},
              {"low_price", &bar->low},
              {"trade_price", &bar->close}};
    if (err == ERR_OK) {
        err = upbit_times(u, bar);
    }
    for (size_t i = 0; i < 4 && err == ERR_OK; i++) {
        err = upbit_px(u, px[i].key, out->px_exp, px[i].to);
    }
    if (err == ERR_OK) {
        err = upbit_number(u, "candle_acc_trade_volume", out->qty_exp, &bar->qty);
    }
    if (err == ERR_OK) {
        err = upbit_number(u, "candle_acc_trade_price", out->px_exp + out->qty_exp, &bar->value);
    }
    return err;
}

static err_t upbit_array(const char *path, const text_t *text, const json_t *array, candles_t *out)
{
    const size_t n = json_array_size(array);
    if (n == 0) {
        return err_set(ERR_PARSE, "candles: %s line 1: not a JSON array with candles", path);
    }
    if (n > out->room) {
        return err_set(ERR_LIMIT, "candles: %s: %zu candles, room for %zu", path, n, out->room);
    }
    upbit_t u = {.path = path, .text = text};
    for (; u.index < n; u.index++) {
        bar_t *bar      = &out->bars[n - 1 - u.index];
        u.candle        = json_array_get(array, u.index);
        const err_t err = upbit_candle(&u, out, bar);
        if (err != ERR_OK) {
            return err;
        }
        const bar_t *newest = &out->bars[n - 1];
        if (bar->ts_end_ns - bar->ts_begin_ns != newest->ts_end_ns - newest->ts_begin_ns) {
            return upbit_fault(&u, ERR_PARSE, "unit", json_object_get(u.candle, "unit"),
                               "not that of the first candle");
        }
    }
    out->count = n;
    return ERR_OK;
}

static err_t upbit_text(const char *path, const text_t *text, candles_t *out)
{
    json_error_t  fault;
    json_t *const array = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES, &fault);
    const err_t   err   = array != NULL ? upbit_array(path, text, array, out)
                                        : err_set(ERR_PARSE, "candles: %s line %d: %s", path, fault.line, fault.text);
    json_decref(array);
    return err;
}

/* ---- KRX --------------------------------------------------------------------------------------------------------- */
enum { DATE = 0, PX_FIRST, VOLUME = 5, COLUMNS };
static const char *const column[COLUMNS] = {"date", "open", "high", "low", "close", "volume"};
static const char        header[]        = "date,open,high,low,close,volume";

typedef struct field {
    const char *text;
    size_t      len;
    bool        quoted;
} field_t;

/* *at moves behind the field and its comma; NULL after the last one. false: there is none, or a broken quote. */
static bool field_next(const char **at, const char *end, field_t *f)
{
    if (*at == NULL) {
        return false;
    }
    f->quoted         = *at < end && **at == '"';
    f->text           = *at + f->quoted;
    const char *close = memchr(f->text, f->quoted ? '"' : ',', (size_t)(end - f->text));
    if (f->quoted && (close == NULL || (close + 1 < end && close[1] != ','))) {
        return false;
    }
    close  = close != NULL ? close : end;
    f->len = (size_t)(close - f->text);
    close += f->quoted;
    *at = close < end ? close + 1 : NULL;
    return true;
}

/* Commas, if any, in quotes only and before every third digit. */
static err_t csv_number(const field_t *f, unsigned exp, int64_t *out)
{
    char   plain[NUMBER_MAX];
    size_t len = 0, group = 0; /* digits since the last comma */
    bool   commas = false, whole = true;
    if (f->len >= sizeof(plain)) {
        return ERR_PARSE;
    }
    for (size_t i = 0; i < f->len; i++) {
        const char c = f->text[i];
        if (c == ',') {
            if (!f->quoted || !whole || (commas ? group != 3 : group == 0 || group > 3)) {
                return ERR_PARSE;
            }
            commas = true;
            group  = 0;
            continue;
        }
        if (whole && (c < '0' || c > '9') && c != '-') {
            whole = false;
            if (commas && group != 3) {
                return ERR_PARSE;
            }
        }
        group += whole && c != '-';
        plain[len++] = c;
    }
    if (commas && whole && group != 3) {
        return ERR_PARSE;
    }
    return decimal_parse(plain, len, exp, out);
}

static err_t krx_fault(const char *path, size_t line, err_t err, unsigned col, const field_t *f, const char *reason)
{
    return err_set(err, "candles: %s line %zu: %s: \"%.*s\": %s", path, line, column[col],
                   (int)(f->len < NUMBER_MAX ? f->len : NUMBER_MAX), f->text, reason);
}

static err_t krx_row(const char *path, size_t line, const field_t f[COLUMNS], bool dashes, const candles_t *scale,
                     bar_t *bar)
{
    *bar = (bar_t){.known = BAR_PX};
    if (!utc_parse(f[DATE].text, f[DATE].len, dashes ? "YYYY-MM-DD" : "YYYYMMDD", &bar->ts_begin_ns)) {
        return krx_fault(path, line, ERR_PARSE, DATE, &f[DATE],
                         dashes ? "not a date YYYY-MM-DD of 1970..2261" : "not a date YYYYMMDD of 1970..2261");
    }
    bar->ts_end_ns = bar->ts_begin_ns + NS_PER_DAY;
    int64_t number[COLUMNS];
    for (unsigned i = PX_FIRST; i < COLUMNS; i++) {
        const err_t err = csv_number(&f[i], i == VOLUME ? scale->qty_exp : scale->px_exp, &number[i]);
        if (err != ERR_OK) {
            return krx_fault(path, line, err, i, &f[i], why(err));
        }
    }
    bar->open  = number[PX_FIRST];
    bar->high  = number[PX_FIRST + 1];
    bar->low   = number[PX_FIRST + 2];
    bar->close = number[PX_FIRST + 3];
    bar->qty   = number[VOLUME];
    return ERR_OK;
}

static err_t krx_line(const char *path, size_t line, const char *at, const char *end, bool dashes, candles_t *out)
{
    field_t f[COLUMNS];
    for (unsigned i = 0; i < COLUMNS; i++) {
        if (!field_next(&at, end, &f[i])) {
            return err_set(ERR_PARSE, "candles: %s line %zu: %s: missing, or a quote that does not close", path, line,
                           column[i]);
        }
    }
    if (at != NULL) {
        return err_set(ERR_PARSE, "candles: %s line %zu: more than %d fields", path, line, COLUMNS);
    }
    if (out->count == out->room) {
        return err_set(ERR_LIMIT, "candles: %s line %zu: more than %zu candles", path, line, out->room);
    }
    const err_t err = krx_row(path, line, f, dashes, out, &out->bars[out->count]);
    out->count += err == ERR_OK;
    return err;
}

static err_t krx_text(const char *path, const text_t *text, candles_t *out)
{
    static const char mark[] = "\xef\xbb\xbf";
    const char       *at = text->data, *end = text->data + text->len;
    if (text->len >= 3 && memcmp(at, mark, 3) == 0) {
        at += 3;
    }
    bool dashes = true;
    for (size_t line = 1; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop    = newline != NULL ? newline : end;
        const char *next    = newline != NULL ? newline + 1 : end;
        stop -= stop > at && stop[-1] == '\r';
        if (line == 1 && (size_t)(stop - at) == strlen(header) && memcmp(at, header, strlen(header)) == 0) {
            dashes = false;
        } else {
            const err_t err = krx_line(path, line, at, stop, dashes, out);
            if (err != ERR_OK) {
                return err;
            }
        }
        at = next;
    }
    return out->count > 0 ? ERR_OK : err_set(ERR_PARSE, "candles: %s: no row", path);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */
static err_t either_text(const char *path, const text_t *text, candles_t *out)
{
    size_t at = 0;
    while (at < text->len && strchr(" \t\r\n", text->data[at]) != NULL) {
        at++;
    }
    const bool json = at < text->len && (text->data[at] == '[' || text->data[at] == '{');
    return json ? upbit_text(path, text, out) : krx_text(path, text, out);
}

static err_t read_as(const char *path, candles_t *out, err_t (*parse)(const char *, const text_t *, candles_t *))
{
    err_t err = begin(path, out);
    if (err != ERR_OK) {
        return err;
    }
    text_t text;
    err = load(path, &text);
    if (err == ERR_OK) {
        err = parse(path, &text, out);
    }
    free(text.data);
    return err;
}

err_t candles_read(const char *path, candles_t *out)
{
    return read_as(path, out, either_text);
}

err_t candles_upbit(const char *path, candles_t *out)
{
    return read_as(path, out, upbit_text);
}

err_t candles_krx(const char *path, candles_t *out)
{
    return read_as(path, out, krx_text);
}
