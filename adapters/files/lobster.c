#include "adapters/files/lobster.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/types/decimal.h"

#define INPUT_BYTES 65536u
#define TEXT_CHUNK 65536u
#define GZIP_MAGIC 0x1f /* no line begins with it; inflate looks at the second byte */
#define PS_PER_NS 1000
#define DOUBLE_NOISE_PS 15 /* a double of seconds, late in the day, has steps of 14.6 ps */
#define MESSAGE_FIELDS 6u
#define LEVEL_FIELDS 4u /* ask price, ask size, bid price, bid size */

struct lobster {
    const char *path;
    int         fd;
    bool        gzip;
    bool        started; /* magic looked at */
    bool        input_end;
    bool        skip;         /* the rest of a line that was too long is still to be read over */
    err_t       end;          /* ERR_OK while text may follow; ERR_END; or the fault of the bytes */
    char        end_why[256]; /* its sentence */
    uint64_t    line_no;      /* of the line at hand */
    int64_t     ts_event_ns;  /* of the last good message */
    uint32_t    levels;       /* of every row; 0 before the first */

    const char *field; /* what is left of the line at hand */
    const char *line_end;
    size_t      at, fill; /* text[at .. fill) is not given out yet */

    size_t               input_at, input_fill;
    struct inflate_state inflate;
    uint8_t              input[INPUT_BYTES];
    char                 text[LOBSTER_LINE_MAX + TEXT_CHUNK];
};

_Static_assert(INPUT_BYTES <= TEXT_CHUNK, "plain text is copied whole");

size_t lobster_align(void)
{
    return _Alignof(lobster_t);
}

size_t lobster_footprint(void)
{
    return sizeof(lobster_t);
}

err_t lobster_open(void *mem, const char *path, lobster_t **out)
{
    lobster_t  *f = mem;
    struct stat st;
    memset(f, 0, offsetof(lobster_t, inflate));
    f->path = path;
    f->fd   = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a pipe's other end is not waited for */
    if (f->fd < 0) {
        return err_set(ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    }
    err_t err = ERR_OK;
    if (fstat(f->fd, &st) != 0) {
        err = err_set(ERR_IO, "%s: fstat: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        err = err_set(ERR_UNSUPPORTED, "%s: is no regular file", path);
    }
    if (err) {
        lobster_close(f);
        return err;
    }
    *out = f;
    return ERR_OK;
}

void lobster_close(lobster_t *file)
{
    (void)close(file->fd); /* read only: nothing can be lost */
}

/* ---- bytes to text ----------------------------------------------------------------------------------------------- */
static err_t input_read(lobster_t *f)
{
    ssize_t n;
    do {
        n = read(f->fd, f->input, INPUT_BYTES);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return err_set(ERR_IO, "read: %s", strerror(errno));
    }
    f->input_at   = 0;
    f->input_fill = (size_t)n;
    f->input_end  = n == 0;
    if (!f->started && n > 0) {
        f->started = true;
        f->gzip    = f->input[0] == GZIP_MAGIC;
        if (f->gzip) {
            isal_inflate_init(&f->inflate);
            f->inflate.crc_flag = ISAL_GZIP; /* header read, checksum verified */
        }
    }
    return ERR_OK;
}

/* Text from the input at hand, perhaps none yet. A member that ended is followed by the end or by another member. */
static err_t text_inflate(lobster_t *f)
{
    struct inflate_state *z = &f->inflate;
    if (z->block_state == ISAL_BLOCK_FINISH) {
        if (f->input_end) {
            return ERR_END;
        }
        if (f->input[f->input_at] != GZIP_MAGIC) {
            return err_set(ERR_PARSE, "bytes after the gzip data");
        }
        isal_inflate_init(z);
        z->crc_flag = ISAL_GZIP;
    }
    const size_t before = f->fill;
    z->next_in          = f->input + f->input_at;
    z->avail_in         = (uint32_t)(f->input_fill - f->input_at);
    z->next_out         = (uint8_t *)f->text + f->fill;
    z->avail_out        = TEXT_CHUNK;
    const int rc        = isal_inflate(z);
    f->fill += TEXT_CHUNK - z->avail_out;
    f->input_at = f->input_fill - z->avail_in;
    if (rc < 0) {
        return err_set(ERR_PARSE, "gzip data are damaged (inflate code %d)", rc);
    }
    if (f->fill == before && f->input_end && z->block_state != ISAL_BLOCK_FINISH) {
        return err_set(ERR_TRUNCATED, "gzip data are cut short");
    }
    return ERR_OK;
}

static err_t text_copy(lobster_t *f)
{
    const size_t n = f->input_fill - f->input_at;
    memcpy(f->text + f->fill, f->input + f->input_at, n);
    f->fill += n;
    f->input_at += n;
    return f->input_end ? ERR_END : ERR_OK;
}

/* What is not given out moves to the front, and at least one byte comes behind it; else f->end says why not. */
static void text_more(lobster_t *f)
{
    const size_t keep = f->fill - f->at;
    memmove(f->text, f->text + f->at, keep);
    f->at   = 0;
    f->fill = keep;
    while (f->fill == keep && !f->end) {
        f->end = f->input_at == f->input_fill && !f->input_end ? input_read(f) : ERR_OK;
        if (!f->end) {
            f->end = f->gzip ? text_inflate(f) : text_copy(f);
        }
    }
    if (f->end && f->end != ERR_END) {
        (void)snprintf(f->end_why, sizeof f->end_why, "%.*s", (int)sizeof f->end_why - 1, err_msg());
    }
}

/* ---- text to lines ----------------------------------------------------------------------------------------------- */
static err_t line_bad(const lobster_t *f, err_t err)
{
    return err_wrap(err, "%s: line %" PRIu64, f->path, f->line_no);
}

/* The next line; its fields are then taken one by one. A line that is too long is a fault once, and its rest is
 * read over in the same memory. */
static err_t line_next(lobster_t *f)
{
    size_t seen = 0; /* bytes of this line already searched */
    for (;;) {
        const char *from = f->text + f->at;
        const char *nl   = memchr(from + seen, '\n', f->fill - f->at - seen);
        seen             = f->fill - f->at;
        const bool whole = nl || (f->end == ERR_END && seen > 0);
        const bool over  = (nl ? (size_t)(nl - from) : seen) > LOBSTER_LINE_MAX;
        if (f->skip && (whole || over)) {
            f->skip = !nl;
            f->at   = nl ? (size_t)(nl + 1 - f->text) : f->fill;
            seen    = 0;
        } else if (over) {
            f->line_no++;
            f->skip = true;
            return line_bad(f, err_set(ERR_LIMIT, "longer than %u bytes", LOBSTER_LINE_MAX));
        } else if (whole) {
            const char *end = nl ? nl : from + seen;
            f->line_no++;
            f->at       = (size_t)(nl ? nl + 1 - f->text : end - f->text);
            f->field    = from;
            f->line_end = end > from && end[-1] == '\r' ? end - 1 : end;
            return ERR_OK;
        } else if (f->end) {
            if (f->end != ERR_END) {
                (void)err_set(f->end, "%s: line %" PRIu64 ": %s", f->path, f->line_no + 1, f->end_why);
            }
            return f->end;
        } else {
            text_more(f);
        }
    }
}

/* ---- lines to numbers -------------------------------------------------------------------------------------------- */
static uint32_t fields_left(const lobster_t *f)
{
    uint32_t count = 1;
    for (const char *c = f->field; (c = memchr(c, ',', (size_t)(f->line_end - c))) != NULL; c++) {
        count++;
    }
    return count;
}

static err_t fields_count(const lobster_t *f, uint32_t want)
{
    const uint32_t have = fields_left(f);
    return have == want ? ERR_OK : err_set(ERR_PARSE, "%u fields, must be %u", have, want);
}

/* The next field as a whole number of 10^-exp, low..high; a line's fields were counted before. level 0: no level. */
static err_t number(lobster_t *f, const char *name, uint32_t level, unsigned exp, int64_t low, int64_t high,
                    int64_t *out)
{
    const char *comma = memchr(f->field, ',', (size_t)(f->line_end - f->field));
    const char *end   = comma ? comma : f->line_end;
    err_t       err   = decimal_parse(f->field, (size_t)(end - f->field), exp, out);
    if (!err && (*out < low || *out > high)) {
        err = ERR_RANGE;
    }
    if (err) {
        char where[24] = "";
        if (level) {
            (void)snprintf(where, sizeof where, " of level %u", level);
        }
        err = err_set(err, "%s%s \"%.*s\" is no whole number of 10^-%u from %" PRId64 " to %" PRId64, name, where,
                      (int)(end - f->field < 40 ? end - f->field : 40), f->field, exp, low, high);
    }
    f->field = comma ? comma + 1 : end;
    return err;
}

/* Whole nanoseconds; or what a program that keeps times as doubles made of them, which still says which they were. */
static err_t time_parse(lobster_t *f, int64_t *ts_ns)
{
    const char *text = f->field;
    int64_t     ps   = 0;
    err_t       err  = number(f, "time", 0, 12, 0, LOBSTER_TIME_MAX * PS_PER_NS, &ps);
    if (err) {
        return err;
    }
    *ts_ns             = (ps + PS_PER_NS / 2) / PS_PER_NS;
    const int64_t tail = ps - *ts_ns * PS_PER_NS;
    return tail >= -DOUBLE_NOISE_PS && tail <= DOUBLE_NOISE_PS
               ? ERR_OK
               : err_set(ERR_SCALE, "time \"%.18s\" is %" PRId64 " ps off a whole nanosecond", text, tail);
}

static err_t message_parse(lobster_t *f, lobster_message_t *m)
{
    int64_t type = 0, side = 0;
    err_t   err = fields_count(f, MESSAGE_FIELDS);
    err         = err ? err : time_parse(f, &m->ts_event_ns);
    err         = err ? err : number(f, "type", 0, 0, LOBSTER_NEW, LOBSTER_HALT, &type);
    /* a halt carries no order: its size is 0 and its price a word of its own; an auction's order id may be -1 */
    const bool    shown = type >= LOBSTER_NEW && type <= LOBSTER_EXECUTE;
    const bool    halt  = type == LOBSTER_HALT;
    const int64_t px    = halt ? -1 : 1;
    err                 = err ? err : number(f, "order id", 0, 0, shown ? 1 : -1, INT64_MAX, &m->order_id);
    err                 = err ? err : number(f, "size", 0, 0, halt ? 0 : 1, LOBSTER_QTY_MAX, &m->qty);
    err                 = err ? err : number(f, "price", 0, 0, px, halt ? 1 : LOBSTER_PX_EMPTY - 1, &m->px);
    err                 = err ? err : number(f, "side", 0, 0, -1, 1, &side);
    if (!err && side == 0) {
        err = err_set(ERR_RANGE, "side 0 is neither 1 (buy) nor -1 (sell)");
    }
    if (!err && m->ts_event_ns < f->ts_event_ns) {
        err = err_set(ERR_STATE, "time %" PRId64 " ns is before %" PRId64 " ns of the message above", m->ts_event_ns,
                      f->ts_event_ns);
    }
    m->type    = (uint8_t)type;
    m->side    = side == 1 ? SIDE_BUY : SIDE_SELL;
    m->line_no = f->line_no;
    return err;
}

err_t lobster_message(lobster_t *file, lobster_message_t *out)
{
    lobster_message_t m   = {0};
    err_t             err = line_next(file);
    if (err) {
        return err;
    }
    err = message_parse(file, &m);
    if (err) {
        return line_bad(file, err);
    }
    file->ts_event_ns = m.ts_event_ns;
    *out              = m;
    return ERR_OK;
}

/* Price and size of one side at one level: onto the row, or empty as all behind it. Asks rise, bids fall. */
static err_t level_parse(lobster_t *f, uint32_t ask, uint32_t level, lobster_row_t *row)
{
    const int64_t  empty   = ask ? LOBSTER_PX_EMPTY : -LOBSTER_PX_EMPTY;
    const uint32_t n       = row->count[ask];
    const level_t *worse   = n ? &row->level[ask][n - 1] : NULL; /* than this none may be better */
    level_t        l       = {0};
    const int64_t  low     = ask ? 1 : -LOBSTER_PX_EMPTY;
    const int64_t  high    = ask ? LOBSTER_PX_EMPTY : LOBSTER_PX_EMPTY - 1;
    const char    *px_name = ask ? "ask price" : "bid price", *qty_name = ask ? "ask size" : "bid size";
    err_t          err = number(f, px_name, level, 0, low, high, &l.px);
    err                = err ? err : number(f, qty_name, level, 0, 0, LOBSTER_QTY_MAX, &l.qty);
    if (err) {
        return err;
    }
    if (l.px == empty && l.qty == 0) {
        return ERR_OK;
    }
    if (l.px == empty || l.qty == 0 || l.px < 1) {
        return err_set(ERR_RANGE,
                       "%s %" PRId64 " of level %u with size %" PRId64 ": an empty level is %" PRId64 " with 0",
                       px_name, l.px, level, l.qty, empty);
    }
    if (n + 1 != level) {
        return err_set(ERR_PARSE, "%s of level %u stands behind an empty level", px_name, level);
    }
    if (worse && (ask ? l.px <= worse->px : l.px >= worse->px)) {
        return err_set(ERR_CROSSED, "%s %" PRId64 " of level %u is not worse than %" PRId64 " of the level before",
                       px_name, l.px, level, worse->px);
    }
    row->level[ask][row->count[ask]++] = l;
    return ERR_OK;
}

/* How many levels a line has room for: the first line says it for all. */
static err_t levels_learn(lobster_t *f)
{
    const uint32_t fields = fields_left(f);
    if (fields % LEVEL_FIELDS != 0) {
        return err_set(ERR_PARSE, "%u fields, must be a multiple of %u", fields, LEVEL_FIELDS);
    }
    if (fields / LEVEL_FIELDS > LOBSTER_LEVELS_MAX) {
        return err_set(ERR_LIMIT, "%u levels, at most %u", fields / LEVEL_FIELDS, LOBSTER_LEVELS_MAX);
    }
    f->levels = fields / LEVEL_FIELDS;
    return ERR_OK;
}

err_t lobster_row(lobster_t *file, lobster_row_t *out)
{
    err_t err = line_next(file);
    if (err) {
        return err;
    }
    err           = file->levels ? fields_count(file, file->levels * LEVEL_FIELDS) : levels_learn(file);
    out->line_no  = file->line_no;
    out->levels   = file->levels;
    out->count[0] = out->count[1] = 0;
    for (uint32_t level = 1; !err && level <= file->levels; level++) {
        err = level_parse(file, 1, level, out);
        err = err ? err : level_parse(file, 0, level, out);
    }
    if (!err && out->count[0] && out->count[1] && out->level[0][0].px >= out->level[1][0].px) {
        err = err_set(ERR_CROSSED, "bid price %" PRId64 " of level 1 is not below ask price %" PRId64,
                      out->level[0][0].px, out->level[1][0].px);
    }
    return err ? line_bad(file, err) : ERR_OK;
}
