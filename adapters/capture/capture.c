#include "adapters/capture/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <isa-l/igzip_lib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Text comes in pieces of TEXT_CHUNK behind what is left of the last line, so the working set stays in the second-level
 * cache however large the window for one huge line is. */
#define INPUT_BYTES 65536u
#define TEXT_CHUNK (128u << 10)
#define GZIP_MAGIC 0x1f /* first byte; inflate looks at the second */
#define TEXT_BYTES (CAPTURE_LINE_MAX + TEXT_CHUNK)

typedef struct capture_file {
    const char *path;
    int         fd;
    bool        gzip;
    bool        started; /* magic looked at                                                */
    bool        input_end;
    bool        line_bad;     /* state is a fault of the head line alone                          */
    bool        skip;         /* the head line is too long, and its rest is still to be read over */
    err_t       end;          /* ERR_OK while text may follow; ERR_END; or the fault of the bytes */
    err_t       state;        /* of the head line: ERR_OK there is one, ERR_END, or the fault     */
    char        end_why[256]; /* sentence of end: good and bad lines may stand before it          */
    char        why[512];     /* sentence of state                                                */

    int64_t  ts_recv_ns; /* of the head line; of the last good one when there is a fault; 0 = none */
    uint64_t line_no;    /* of the head line                                                        */
    size_t   text_at;    /* the head line's JSON: text[text_at .. text_at + text_len) */
    size_t   text_len;
    size_t   next_at; /* where the line after it begins */
    size_t   fill;    /* bytes in text[]                */

    size_t               input_at, input_fill;
    struct inflate_state inflate;
    uint8_t              input[INPUT_BYTES];
    char                 text[TEXT_BYTES];
} capture_file_t;

struct capture {
    uint32_t        files;
    capture_file_t *shown; /* whose head line the caller looks at; NULL = none */
    capture_file_t  file[];
};

size_t capture_align(void)
{
    return _Alignof(capture_t);
}

size_t capture_footprint(uint32_t files)
{
    if (files == 0 || files > CAPTURE_FILES_MAX) {
        err_set(ERR_ARG, "capture: %u files, must be 1..%u", files, CAPTURE_FILES_MAX);
        return 0;
    }
    return sizeof(capture_t) + files * sizeof(capture_file_t);
}

/* ---- bytes to text ----------------------------------------------------------------------------------------------- */
static err_t input_read(capture_file_t *f)
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
    return ERR_OK;
}

static void inflate_start(capture_file_t *f)
{
    isal_inflate_init(&f->inflate);
    f->inflate.crc_flag = ISAL_GZIP; /* header read, checksum verified */
}

static err_t inflate_error(int rc)
{
    return rc == ISAL_INCORRECT_CHECKSUM ? err_set(ERR_PARSE, "gzip checksum does not match")
                                         : err_set(ERR_PARSE, "gzip data are damaged (inflate code %d)", rc);
}

/* Text from the input at hand. A member that ended is followed by the end of the file or by another member. */
static err_t text_inflate(capture_file_t *f)
{
    struct inflate_state *z = &f->inflate;
    if (z->block_state == ISAL_BLOCK_FINISH) {
        if (f->input[f->input_at] != GZIP_MAGIC) {
            return err_set(ERR_PARSE, "bytes after the gzip data");
        }
        inflate_start(f);
    }
    z->next_in   = f->input + f->input_at;
    z->avail_in  = (uint32_t)(f->input_fill - f->input_at);
    z->next_out  = (uint8_t *)f->text + f->fill;
    z->avail_out = TEXT_CHUNK;
    const int rc = isal_inflate(z);
    f->fill += TEXT_CHUNK - z->avail_out;
    f->input_at = f->input_fill - z->avail_in;
    return rc < 0 ? inflate_error(rc) : ERR_OK;
}

static void text_copy(capture_file_t *f)
{
    size_t n = f->input_fill - f->input_at;
    memcpy(f->text + f->fill, f->input + f->input_at, n);
    f->fill += n;
    f->input_at += n;
}

_Static_assert(INPUT_BYTES <= TEXT_CHUNK, "plain text is copied whole");

/* At least one more byte of text, or the reason why there is none: ERR_END or a fault. */
static err_t text_more(capture_file_t *f)
{
    const size_t before = f->fill;
    while (f->fill == before) {
        /* inflate may hold text back from input that is used up: ask it before asking the file */
        const bool holds = f->gzip && f->started && f->inflate.block_state != ISAL_BLOCK_FINISH;
        if (f->input_at == f->input_fill && !f->input_end) {
            const err_t err = input_read(f);
            if (err != ERR_OK) {
                return err;
            }
        }
        if (!f->started && !f->input_end) {
            f->started = true;
            f->gzip    = f->input[0] == GZIP_MAGIC; /* a plain line begins with a digit */
            if (f->gzip) {
                inflate_start(f);
            }
        }
        if (f->input_at == f->input_fill && !holds) {
            return ERR_END;
        }
        if (!f->gzip) {
            text_copy(f);
            continue;
        }
        const err_t err = text_inflate(f);
        if (err != ERR_OK) {
            return err;
        }
        if (f->fill == before && f->input_end && f->inflate.block_state != ISAL_BLOCK_FINISH) {
            return err_set(ERR_TRUNCATED, "gzip data are cut short");
        }
    }
    return ERR_OK;
}

/* ---- text to lines ----------------------------------------------------------------------------------------------- */
static void sentence_keep(char *out, size_t cap)
{
    const size_t len = strnlen(err_msg(), cap - 1);
    memcpy(out, err_msg(), len);
    out[len] = 0;
}

/* Text behind the last keep bytes, which move to the front. A fault may come together with text. */
static void text_next(capture_file_t *f, size_t keep)
{
    memmove(f->text, f->text + f->fill - keep, keep);
    f->next_at = 0;
    f->fill    = keep;
    f->end     = text_more(f);
    if (f->end != ERR_OK) {
        sentence_keep(f->end_why, sizeof f->end_why);
    }
}

/* The end of the line that begins at next_at, in *end; reads on as needed. */
static err_t line_find(capture_file_t *f, size_t *end)
{
    size_t seen = 0; /* bytes of this line already searched */
    for (;;) {
        const char *from = f->text + f->next_at + seen;
        const char *nl   = memchr(from, '\n', f->fill - f->next_at - seen);
        if (nl != NULL) {
            *end = (size_t)(nl - f->text);
            return *end - f->next_at <= CAPTURE_LINE_MAX ? ERR_OK : ERR_LIMIT;
        }
        seen = f->fill - f->next_at;
        if (seen > CAPTURE_LINE_MAX) {
            return ERR_LIMIT;
        }
        if (f->end != ERR_OK) {
            return f->end;
        }
        text_next(f, seen);
    }
}

/* Over the rest of a line that is too long. */
static err_t line_skip(capture_file_t *f)
{
    for (;;) {
        const char *nl = memchr(f->text + f->next_at, '\n', f->fill - f->next_at);
        if (nl != NULL) {
            f->next_at = (size_t)(nl + 1 - f->text);
            f->skip    = false;
            return ERR_OK;
        }
        f->next_at = f->fill;
        if (f->end != ERR_OK) {
            return f->end;
        }
        text_next(f, 0);
    }
}

static err_t time_check(const capture_file_t *f, int64_t ts)
{
    if (ts < f->ts_recv_ns) {
        return err_set(ERR_STATE, "receive time %" PRId64 " is before %" PRId64 " of the last good line", ts,
                       f->ts_recv_ns);
    }
    if (f->ts_recv_ns != 0 && ts - f->ts_recv_ns > CAPTURE_JUMP_MAX_NS) {
        return err_set(ERR_STATE,
                       "receive time %" PRId64 " is more than %" PRId64 " ns after %" PRId64
                       " of the last good line, and not believed",
                       ts, CAPTURE_JUMP_MAX_NS, f->ts_recv_ns);
    }
    return ERR_OK;
}

/* `<digits><blank><JSON>` in text[next_at..end) becomes the head line; a faulty one is passed all the same. */
static err_t line_split(capture_file_t *f, size_t end)
{
    const size_t at = f->next_at;
    uint64_t     ts = 0;
    size_t       i  = at;
    f->next_at      = end + 1;
    if (memchr(f->text + at, 0, end - at) != NULL) {
        return err_set(ERR_PARSE, "holds a NUL byte");
    }
    for (; i < end && i - at < 19 && f->text[i] >= '0' && f->text[i] <= '9'; i++) {
        ts = ts * 10 + (uint64_t)(f->text[i] - '0'); /* 19 digits fit 64 bits without a sign */
    }
    if (ts == 0 || ts > INT64_MAX || i == end || f->text[i] != ' ') {
        return err_set(ERR_PARSE, "does not begin with a receive time in nanoseconds and one blank");
    }
    if (f->text[end - 1] == '\r') {
        end--;
    }
    if (i + 1 >= end) {
        return err_set(ERR_PARSE, "nothing after the receive time");
    }
    const err_t err = time_check(f, (int64_t)ts);
    if (err == ERR_OK) {
        f->ts_recv_ns = (int64_t)ts;
        f->text_at    = i + 1;
        f->text_len   = end - i - 1;
    }
    return err;
}

/* The next line of this file becomes its head line; state says whether there is one. */
static void file_advance(capture_file_t *f)
{
    size_t end  = 0;
    err_t  err  = f->skip ? line_skip(f) : ERR_OK;
    f->line_bad = false;
    if (err == ERR_OK) {
        f->line_no++;
        err = line_find(f, &end);
    }
    if (err == ERR_OK) {
        err         = line_split(f, end);
        f->line_bad = err != ERR_OK;
    } else if (err == ERR_LIMIT) {
        (void)err_set(err, "longer than %u bytes", CAPTURE_LINE_MAX);
        f->line_bad = f->skip = true;
    } else if (err != ERR_END) {
        (void)err_set(err, "%s", f->end_why);
    } else if (f->skip || f->fill > f->next_at) {
        err = err_set(ERR_TRUNCATED, "no newline at the end: the file is cut short");
    } else if (f->line_no == 1) {
        err = err_set(ERR_TRUNCATED, "the file is empty");
    }
    f->state = err;
    if (err != ERR_OK && err != ERR_END) {
        (void)err_wrap(err, "%s: line %" PRIu64, f->path, f->line_no);
        sentence_keep(f->why, sizeof f->why);
    }
}

/* ---- files to one stream ----------------------------------------------------------------------------------------- */
static void files_close(capture_t *cap, uint32_t files)
{
    for (uint32_t i = 0; i < files; i++) {
        (void)close(cap->file[i].fd); /* read only: nothing can be lost */
    }
}

/* Without waiting for anyone at the other end of a pipe. */
static err_t file_open(const char *path, int *fd)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0) {
        return err_set(ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    }
    err_t err = ERR_OK;
    if (fstat(*fd, &st) != 0) {
        err = err_set(ERR_IO, "%s: fstat: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        err = err_set(ERR_UNSUPPORTED, "%s: is a %s, and a capture must be a regular file", path,
                      S_ISDIR(st.st_mode)    ? "directory"
                      : S_ISFIFO(st.st_mode) ? "pipe"
                                             : "device");
    }
    if (err != ERR_OK) {
        (void)close(*fd);
    }
    return err;
}

err_t capture_open(void *mem, const char *const *paths, uint32_t files, capture_t **out)
{
    if (capture_footprint(files) == 0) {
        return ERR_ARG;
    }
    capture_t *cap = mem;
    cap->files     = files;
    cap->shown     = NULL;
    for (uint32_t i = 0; i < files; i++) {
        capture_file_t *f = &cap->file[i];
        memset(f, 0, offsetof(capture_file_t, inflate));
        f->path         = paths[i];
        const err_t err = file_open(paths[i], &f->fd);
        if (err != ERR_OK) {
            files_close(cap, i);
            return err;
        }
    }
    for (uint32_t i = 0; i < files; i++) {
        file_advance(&cap->file[i]);
    }
    *out = cap;
    return ERR_OK;
}

static bool is_cut(const capture_file_t *f)
{
    return f->state != ERR_OK && !f->line_bad;
}

/* Does a come before b? The end of a stream stands behind all lines of its own last receive time. */
static bool file_before(const capture_file_t *a, const capture_file_t *b)
{
    if (a->ts_recv_ns != b->ts_recv_ns) {
        return a->ts_recv_ns < b->ts_recv_ns;
    }
    return !is_cut(a) && is_cut(b); /* else the file given first, which the caller already has */
}

err_t capture_next(capture_t *cap, capture_line_t *line)
{
    if (cap->shown != NULL) {
        file_advance(cap->shown);
        cap->shown = NULL;
    }
    capture_file_t *first = NULL;
    for (uint32_t i = 0; i < cap->files; i++) {
        capture_file_t *f = &cap->file[i];
        if (f->state != ERR_END && (first == NULL || file_before(f, first))) {
            first = f;
        }
    }
    if (first == NULL) {
        return ERR_END;
    }
    const bool good = first->state == ERR_OK;
    *line           = (capture_line_t){.ts_recv_ns = first->ts_recv_ns,
                                       .text       = good ? first->text + first->text_at : "",
                                       .len        = good ? first->text_len : 0,
                                       .line_no    = first->line_no,
                                       .file       = (uint32_t)(first - cap->file),
                                       .fault      = first->line_bad};
    cap->shown      = is_cut(first) ? NULL : first; /* who is not shown does not go on */
    return good ? ERR_OK : err_set(first->state, "%s", first->why);
}

void capture_close(capture_t *cap)
{
    files_close(cap, cap->files);
    cap->files = 0;
}
