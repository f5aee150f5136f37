/* capture: what must hold
 *   - lines come out in order of receive time, equal times in order of files, each exactly as it stands in its file
 *   - a file cut at any byte gives the whole lines before the cut, and never an orderly end inside a line or a gzip
 *   - a gzip with any bit flipped never passes off other lines as an orderly end
 *   - every fault has a sentence that names file and line and comes after all earlier lines; a bad line is passed and
 *     the good ones come out as if it were not there, a cut file ends the stream
 *   - no allocation between open and close
 *   - the probe finds market, symbols, scales and grids of real captures */
#include <inttypes.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapters/capture/capture.h"

static char     dir[] = "/tmp/hwal-test-capture-XXXXXX";
static uint64_t rng;
static void    *mem;

static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static const char *path_of(const char *name)
{
    static char ring[32][128];
    static int  at;
    char       *p = ring[at++ % 32];
    (void)snprintf(p, sizeof ring[0], "%s/%s", dir, name);
    return p;
}

static const char *file_put(const char *name, const char *text, size_t len)
{
    const char *p = path_of(name);
    FILE       *f = fopen(p, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    return p;
}

/* The gzip program, so that reader and writer share nothing. */
static const char *file_gzip(const char *name, const char *text, size_t len, const char *mode)
{
    char        cmd[256];
    const char *p = path_of(name);
    (void)snprintf(cmd, sizeof cmd, "gzip -nc %s %s", mode, p);
    FILE *f = popen(cmd, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(pclose(f), 0);
    return p;
}

static size_t file_get(const char *p, char **bytes)
{
    FILE *f = fopen(p, "rb");
    assert_non_null(f);
    struct stat st;
    assert_int_equal(fstat(fileno(f), &st), 0);
    *bytes = malloc((size_t)st.st_size + 1);
    assert_non_null(*bytes);
    assert_int_equal(fread(*bytes, 1, (size_t)st.st_size, f), st.st_size);
    assert_int_equal(fclose(f), 0);
    return (size_t)st.st_size;
}

/* All good lines of files, joined again as the files have them; the answer that ended them. */
typedef struct bad_lines { /* of the last read_all */
    uint32_t count;
    err_t    err; /* of the last one */
    uint64_t line_no;
    int64_t  ts_recv_ns;
    char     why[512];
} bad_lines_t;
static bad_lines_t bad_lines;

static err_t read_all(const char *const *paths, uint32_t n, char *out, size_t cap, size_t *len, uint64_t *lines)
{
    capture_t     *cap_;
    capture_line_t line;
    *len            = 0;
    bad_lines.count = 0;
    uint64_t count  = 0;
    int64_t  ts     = 0;
    err_t    err    = capture_open(mem, paths, n, &cap_);
    if (err != ERR_OK) {
        return err;
    }
    for (;;) {
        memset(&line, 0xa5, sizeof line); /* what is not filled shows */
        err = capture_next(cap_, &line);
        if (err == ERR_END || (err != ERR_OK && line.fault == 0)) {
            break;
        }
        assert_true(line.ts_recv_ns >= ts);
        assert_true(line.file < n);
        ts = line.ts_recv_ns;
        if (err != ERR_OK) {
            assert_int_equal(line.fault, 1);
            assert_int_equal(line.len, 0);
            bad_lines.count++;
            bad_lines.err        = err;
            bad_lines.line_no    = line.line_no;
            bad_lines.ts_recv_ns = line.ts_recv_ns;
            (void)snprintf(bad_lines.why, sizeof bad_lines.why, "%s", err_msg());
            char where[192];
            (void)snprintf(where, sizeof where, "%s: line %" PRIu64 ": ", paths[line.file], line.line_no);
            assert_ptr_equal(strstr(err_msg(), where), err_msg());
            continue;
        }
        assert_int_equal(line.fault, 0);
        *len +=
            (size_t)snprintf(out + *len, cap - *len, "%" PRId64 " %.*s\n", line.ts_recv_ns, (int)line.len, line.text);
        assert_true(*len < cap);
        count++;
    }
    assert_int_equal(capture_next(cap_, &line), err); /* the end stays the end */
    capture_close(cap_);
    if (lines != NULL) {
        *lines = count;
    }
    return err;
}

static err_t read_one(const char *p, char *out, size_t cap, size_t *len)
{
    return read_all(&p, 1, out, cap, len, NULL);
}

/* ---- the merge --------------------------------------------------------------------------------------------------- */
typedef struct model_line {
    int64_t  ts;
    uint32_t file, no;
} model_line_t;

static int model_cmp(const void *a, const void *b)
{
    const model_line_t *x = a, *y = b;
    if (x->ts != y->ts) {
        return x->ts < y->ts ? -1 : 1;
    }
    if (x->file != y->file) {
        return x->file < y->file ? -1 : 1;
    }
    return x->no < y->no ? -1 : x->no > y->no;
}

static void test_capture_merges_by_time_then_file(void **state)
{
    (void)state;
    static model_line_t model[CAPTURE_FILES_MAX * 200];
    static char         text[64 * 200];
    for (int round = 0; round < 30; round++) {
        const uint32_t files = 1 + (uint32_t)(rnd() % CAPTURE_FILES_MAX);
        const char    *paths[CAPTURE_FILES_MAX];
        size_t         total = 0;
        for (uint32_t f = 0; f < files; f++) {
            char           name[16];
            size_t         len   = 0;
            int64_t        ts    = 1 + (int64_t)(rnd() % 100);
            const uint32_t count = 1 + (uint32_t)(rnd() % 200);
            for (uint32_t i = 1; i <= count; i++) {
                ts += (int64_t)(rnd() % 4);
                len +=
                    (size_t)snprintf(text + len, sizeof text - len, "%" PRId64 " {\"file\":%u,\"no\":%u}\n", ts, f, i);
                model[total++] = (model_line_t){.ts = ts, .file = f, .no = i};
            }
            (void)snprintf(name, sizeof name, "merge%u", f);
            paths[f] = rnd() % 4 == 0 ? file_gzip(name, text, len, ">") : file_put(name, text, len);
        }
        qsort(model, total, sizeof model[0], model_cmp);
        capture_t     *cap;
        capture_line_t line;
        assert_int_equal(capture_open(mem, paths, files, &cap), ERR_OK);
        for (size_t i = 0; i < total; i++) {
            assert_int_equal(capture_next(cap, &line), ERR_OK);
            char      want[64];
            const int len = snprintf(want, sizeof want, "{\"file\":%u,\"no\":%u}", model[i].file, model[i].no);
            assert_int_equal(line.ts_recv_ns, model[i].ts);
            assert_int_equal(line.file, model[i].file);
            assert_int_equal(line.line_no, model[i].no);
            assert_int_equal(line.len, len);
            assert_memory_equal(line.text, want, (size_t)len);
        }
        assert_int_equal(capture_next(cap, &line), ERR_END);
        capture_close(cap);
    }
}

/* ---- cuts and flips ---------------------------------------------------------------------------------------------- */
static size_t sample(char *text, size_t cap, int lines)
{
    size_t len = 0;
    for (int i = 0; i < lines; i++) {
        len += (size_t)snprintf(text + len, cap - len, "%d {\"n\":%d,\"x\":\"%" PRIx64 "\"}\n", 1000 + i, i, rnd());
    }
    return len;
}

/* got is a prefix of text that ends at a line's end. */
static void assert_whole_lines(const char *got, size_t len, const char *text)
{
    assert_memory_equal(got, text, len);
    assert_true(len == 0 || got[len - 1] == '\n');
}

static void test_capture_plain_cut_at_every_byte(void **state)
{
    (void)state;
    char         text[2048], got[4096];
    const size_t all = sample(text, sizeof text, 12);
    for (size_t cut = 0; cut <= all; cut++) {
        size_t      len;
        const bool  at_line = cut > 0 && text[cut - 1] == '\n';
        const err_t err     = read_one(file_put("cut", text, cut), got, sizeof got, &len);
        assert_whole_lines(got, len, text);
        assert_int_equal(err, at_line ? ERR_END : ERR_TRUNCATED);
        const char *last = cut == 0 ? NULL : memrchr(text, '\n', cut);
        assert_int_equal(len, last != NULL ? (size_t)(last + 1 - text) : 0);
    }
}

static void test_capture_gzip_cut_at_every_byte(void **state)
{
    (void)state;
    static char  text[65536], got[65536 * 2];
    char        *gz;
    const size_t all = sample(text, sizeof text, 40);
    const size_t n   = file_get(file_gzip("whole.gz", text, all, ">"), &gz);
    size_t       len, most = 0;
    for (size_t cut = 1; cut < n; cut++) {
        const err_t err = read_one(file_put("cut.gz", gz, cut), got, sizeof got, &len);
        assert_whole_lines(got, len, text);
        assert_int_equal(err, ERR_TRUNCATED);
        assert_non_null(strstr(err_msg(), "cut.gz: line "));
        assert_true(len >= most); /* a longer piece never gives less */
        most = len;
    }
    assert_int_equal(most, all); /* only the checksum was missing */
    assert_int_equal(read_one(file_put("cut.gz", gz, n), got, sizeof got, &len), ERR_END);
    assert_int_equal(len, all);
    free(gz);
}

static void test_capture_gzip_any_bit_flipped(void **state)
{
    (void)state;
    char         text[2048];
    static char  got[1 << 20];
    char        *gz;
    const size_t all     = sample(text, sizeof text, 12);
    const size_t n       = file_get(file_gzip("flip0.gz", text, all, ">"), &gz);
    int          refused = 0;
    for (size_t bit = 0; bit < 8 * n; bit++) {
        gz[bit / 8] = (char)(gz[bit / 8] ^ 1 << bit % 8);
        size_t      len;
        const err_t err = read_one(file_put("flip.gz", gz, n), got, sizeof got, &len);
        if (err == ERR_END) { /* time stamp, system: nothing that we read */
            assert_int_equal(len, all);
            assert_memory_equal(got, text, all);
        } else {
            refused++;
            assert_non_null(strstr(err_msg(), "flip.gz: line "));
        }
        gz[bit / 8] = (char)(gz[bit / 8] ^ 1 << bit % 8);
    }
    assert_true(refused > (int)(8 * (n - 12)));
    free(gz);
}

static void test_capture_gzip_members_follow_each_other(void **state)
{
    (void)state;
    static char text[1 << 16], got[1 << 17];
    size_t      len;
    for (int i = 0; i < 40; i++) { /* two members with the seam at all kinds of places, an empty one between */
        (void)unlink(path_of("members.gz"));
        const size_t all  = sample(text, sizeof text, 1 + (int)(rnd() % 400));
        const size_t part = rnd() % all;
        file_gzip("members.gz", text, part, ">>");
        file_gzip("members.gz", text, 0, ">>");
        file_gzip("members.gz", text + part, all - part, ">>");
        assert_int_equal(read_one(path_of("members.gz"), got, sizeof got, &len), ERR_END);
        assert_int_equal(len, all);
        assert_memory_equal(got, text, all);
    }
    const char *p = file_gzip("tail.gz", "1 {}\n", 5, ">");
    FILE       *f = fopen(p, "ab");
    assert_non_null(f);
    assert_int_equal(fputs("junk", f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(read_one(p, got, sizeof got, &len), ERR_PARSE);
    assert_int_equal(len, 5);
    assert_non_null(strstr(err_msg(), "bytes after the gzip data"));
}

/* A member that is larger than our input buffer, then another: the seam lies behind many reads. */
static void test_capture_gzip_large_members(void **state)
{
    (void)state;
    const size_t cap  = 3u << 20;
    char        *text = malloc(cap), *got = malloc(cap);
    assert_non_null(text);
    assert_non_null(got);
    size_t all = 0, len;
    for (int64_t ts = 1; all < cap - 200; ts++) {
        all += (size_t)snprintf(text + all, cap - all, "%" PRId64 " \"%" PRIx64 "%" PRIx64 "\"\n", ts, rnd(), rnd());
    }
    file_gzip("large.gz", text, all / 3, ">");
    file_gzip("large.gz", text + all / 3, all / 3, "-1 >>");
    const char *p = file_gzip("large.gz", text + all / 3 * 2, all - all / 3 * 2, "-9 >>");
    assert_int_equal(read_one(p, got, cap, &len), ERR_END);
    assert_int_equal(len, all);
    assert_memory_equal(got, text, all);
    free(text);
    free(got);
}

/* ---- each refusal ------------------------------------------------------------------------------------------------ */
static void test_capture_passes_bad_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        err_t       err; /* of the bad line; ERR_OK = there is none */
        const char *says;
        uint64_t    line_no;
        int64_t     ts; /* at which it stands */
        const char *good;
    } cases[] = {
        {"5 {}\n\n6 {}\n", ERR_PARSE, "does not begin with a receive time", 2, 5, "5 {}\n6 {}\n"},
        {"{}\n", ERR_PARSE, "does not begin with a receive time", 1, 0, ""},
        {"{}\n7 {}\n", ERR_PARSE, "does not begin with a receive time", 1, 0, "7 {}\n"},
        {"-5 {}\n", ERR_PARSE, "does not begin with a receive time", 1, 0, ""},
        {"0 {}\n", ERR_PARSE, "does not begin with a receive time", 1, 0, ""},
        {"5\t{}\n", ERR_PARSE, "does not begin with a receive time", 1, 0, ""},
        {"5\n", ERR_PARSE, "does not begin with a receive time", 1, 0, ""},
        {"5 \n", ERR_PARSE, "nothing after the receive time", 1, 0, ""},
        {"3 1\n5 \r\n5 2\n", ERR_PARSE, "nothing after the receive time", 2, 3, "3 1\n5 2\n"},
        {"3 1\n9 \n5 2\n", ERR_PARSE, "nothing after the receive time", 2, 3, "3 1\n5 2\n"}, /* 9 sets no time */
        {"9223372036854775808 {}\n", ERR_PARSE, "does not begin with a receive time", 1, 0, ""},
        {"10000000000000000000 {}\n", ERR_PARSE, "does not begin with a receive time", 1, 0, ""},
        {"9223372036854775807 {}\n", ERR_OK, "", 0, 0, "9223372036854775807 {}\n"},
        {"5 {}\n4 {}\n6 {}\n", ERR_STATE, "receive time 4 is before 5", 2, 5, "5 {}\n6 {}\n"},
        {"7 {}\n86400000000007 1\n86400000000008 2\n", ERR_OK, "", 0, 0, "7 {}\n86400000000007 1\n86400000000008 2\n"},
        {"7 {}\n86400000000008 1\n8 2\n", ERR_STATE, "86400000000008 is more than 86400000000000 ns after 7", 2, 7,
         "7 {}\n8 2\n"},
        {"7 {}\n9223372036854775807 1\n8 2\n", ERR_STATE, "and not believed", 2, 7, "7 {}\n8 2\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char   got[128];
        size_t len;
        assert_int_equal(read_one(file_put("bad", cases[i].text, strlen(cases[i].text)), got, sizeof got, &len),
                         ERR_END);
        assert_int_equal(len, strlen(cases[i].good));
        assert_memory_equal(got, cases[i].good, len);
        assert_int_equal(bad_lines.count, cases[i].err != ERR_OK);
        if (cases[i].err != ERR_OK) {
            assert_int_equal(bad_lines.err, cases[i].err);
            assert_int_equal(bad_lines.line_no, cases[i].line_no);
            assert_int_equal(bad_lines.ts_recv_ns, cases[i].ts);
            assert_non_null(strstr(bad_lines.why, cases[i].says));
        }
    }
    char   got[64];
    size_t len;
    assert_int_equal(read_one(file_put("crlf", "5 {}\r\n6 []\r\n", 12), got, sizeof got, &len), ERR_END);
    assert_int_equal(len, 10);
    assert_memory_equal(got, "5 {}\n6 []\n", 10);
    for (size_t at = 0; at < 4; at++) { /* a NUL at any place of the second line */
        char text[]  = "4 1\n5 {}\n6 2\n";
        text[4 + at] = 0;
        assert_int_equal(read_one(file_put("nul", text, sizeof text - 1), got, sizeof got, &len), ERR_END);
        assert_int_equal(len, 8);
        assert_memory_equal(got, "4 1\n6 2\n", 8);
        assert_int_equal(bad_lines.count, 1);
        assert_non_null(strstr(bad_lines.why, "nul: line 2: holds a NUL byte"));
    }
}

static void test_capture_ends_at_cut_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
        size_t      good; /* bytes delivered before */
    } cases[] = {{"", "line 1: the file is empty", 0},
                 {"5 {}\n6 {}", "line 2: no newline at the end", 5},
                 {"5 {}\nx\n6 {}", "line 3: no newline at the end", 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char        got[128];
        size_t      len;
        const char *p = file_put("cutoff", cases[i].text, strlen(cases[i].text));
        assert_int_equal(read_one(p, got, sizeof got, &len), ERR_TRUNCATED);
        assert_int_equal(len, cases[i].good);
        assert_non_null(strstr(err_msg(), cases[i].says));
        assert_non_null(strstr(err_msg(), p));
    }
}

/* A gzip with bad lines, cut at every byte: a bad line does not take the place of the end's sentence. */
static void test_capture_bad_lines_before_a_cut(void **state)
{
    (void)state;
    static char text[65536], good[65536], got[65536 * 2];
    size_t      all = 0, good_len = 0, len;
    for (int i = 0; i < 60; i++) {
        const bool bad = rnd() % 3 == 0;
        const int  n =
            snprintf(text + all, sizeof text - all, "%s%d {\"x\":\"%" PRIx64 "\"}\n", bad ? "-" : "", 1000 + i, rnd());
        if (!bad) {
            memcpy(good + good_len, text + all, (size_t)n);
            good_len += (size_t)n;
        }
        all += (size_t)n;
    }
    char        *gz;
    const size_t n    = file_get(file_gzip("mixed.gz", text, all, ">"), &gz);
    size_t       most = 0;
    for (size_t cut = 1; cut < n; cut++) {
        assert_int_equal(read_one(file_put("cut.gz", gz, cut), got, sizeof got, &len), ERR_TRUNCATED);
        assert_non_null(strstr(err_msg(), "gzip data are cut short"));
        assert_whole_lines(got, len, good);
        most = len > most ? len : most;
    }
    assert_int_equal(most, good_len);
    gz[n - 8] = (char)(gz[n - 8] ^ 1); /* the checksum */
    assert_int_equal(read_one(file_put("cut.gz", gz, n), got, sizeof got, &len), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "gzip checksum does not match"));
    free(gz);
}

static void test_capture_refuses_bad_arguments(void **state)
{
    (void)state;
    capture_t  *cap;
    const char *paths[CAPTURE_FILES_MAX + 1] = {path_of("no-such-file")};
    assert_int_equal(capture_footprint(0), 0);
    assert_int_equal(capture_footprint(CAPTURE_FILES_MAX + 1), 0);
    assert_int_equal(capture_open(mem, paths, 0, &cap), ERR_ARG);
    assert_int_equal(capture_open(mem, paths, CAPTURE_FILES_MAX + 1, &cap), ERR_ARG);
    assert_int_equal(capture_open(mem, paths, 1, &cap), ERR_IO);
    assert_non_null(strstr(err_msg(), "no-such-file: cannot open"));
}

/* Nobody writes to the pipe: who waits for it hangs here. */
static void test_capture_wants_regular_files(void **state)
{
    (void)state;
    static capture_probe_t probe;
    capture_t             *cap;
    const char            *good = file_put("regular", "1 {}\n", 5), *pipe_path = path_of("pipe");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    const struct {
        const char *path, *says;
    } cases[]        = {{dir, ": is a directory, and a capture must be a regular file"},
                        {pipe_path, "pipe: is a pipe, and a capture must be a regular file"},
                        {"/dev/null", "/dev/null: is a device, and a capture must be a regular file"}};
    const int before = dup(0);
    assert_int_equal(close(before), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *paths[2] = {good, cases[i].path};
        assert_int_equal(capture_open(mem, paths, 2, &cap), ERR_UNSUPPORTED);
        assert_non_null(strstr(err_msg(), cases[i].says));
        assert_int_equal(capture_probe_file(mem, cases[i].path, &probe), ERR_UNSUPPORTED);
        assert_non_null(strstr(err_msg(), cases[i].says));
    }
    const int after = dup(0); /* the same number: nothing was left open */
    assert_int_equal(close(after), 0);
    assert_int_equal(before, after);
}

/* Lines around the limit, in two lengths of text before them so that the seams of reading lie elsewhere; and one that
 * is far longer than all our memory for it. */
static void test_capture_longest_line(void **state)
{
    (void)state;
    static const size_t lengths[] = {CAPTURE_LINE_MAX - 1, CAPTURE_LINE_MAX, CAPTURE_LINE_MAX + 1,
                                     3 * CAPTURE_LINE_MAX + 12345};
    char               *text = malloc(4 * CAPTURE_LINE_MAX), *got = malloc(4 * CAPTURE_LINE_MAX);
    assert_non_null(text);
    assert_non_null(got);
    for (size_t i = 0; i < 4 * (sizeof lengths / sizeof lengths[0]); i++) {
        const size_t line = lengths[i / 4], pad = i % 2 == 0 ? 0 : CAPTURE_LINE_MAX % 131072 + 131072 - 9;
        const bool   fits = line <= CAPTURE_LINE_MAX, cut = i / 2 % 2 == 1; /* cut: it is the last, without newline */
        memcpy(text, "5 {", 3);
        memset(text + 3, ' ', pad);
        memcpy(text + 3 + pad, "}\n7 ", 4);
        memset(text + 7 + pad, 'x', line - 2);
        size_t all = 5 + pad + line, len;
        if (!cut) {
            memcpy(text + all, "\n8 {}\n", 6);
            all += 6;
        }
        const err_t err = read_one(file_put("long", text, all), got, 4 * CAPTURE_LINE_MAX, &len);
        assert_int_equal(err, cut ? ERR_TRUNCATED : ERR_END);
        assert_int_equal(bad_lines.count, !fits);
        if (!fits) {
            assert_int_equal(bad_lines.err, ERR_LIMIT);
            assert_int_equal(bad_lines.ts_recv_ns, 5);
            assert_non_null(strstr(bad_lines.why, "line 2: longer than 4194304 bytes"));
        }
        if (cut) {
            (void)read_one(path_of("long"), got, 4 * CAPTURE_LINE_MAX, &len);
            assert_non_null(strstr(err_msg(), "line 2: no newline at the end"));
            assert_int_equal(len, 5 + pad);
        } else if (fits) {
            assert_int_equal(len, all);
            assert_memory_equal(got, text, all);
        } else {
            assert_int_equal(len, 10 + pad);
            assert_memory_equal(got + 5 + pad, "8 {}\n", 5);
        }
    }
    free(text);
    free(got);
}

/* Lines of all files up to the end of one come first, also of its own time; nothing after it. */
static void test_capture_cut_stands_in_order(void **state)
{
    (void)state;
    const char *a = "10 \"a\"\n20 \"a\"\n30 \"a", *b = "5 \"b\"\n15 \"b\"\n20 \"b\"\n21 \"b\"\n";
    const char *paths[2] = {file_put("fa", a, strlen(a)), file_put("fb", b, strlen(b))};
    char        got[128];
    size_t      len;
    for (int swap = 0; swap < 2; swap++) {
        assert_int_equal(read_all(paths, 2, got, sizeof got, &len, NULL), ERR_TRUNCATED);
        assert_non_null(strstr(err_msg(), "fa: line 3"));
        const char *want = swap == 0 ? "5 \"b\"\n10 \"a\"\n15 \"b\"\n20 \"a\"\n20 \"b\"\n"
                                     : "5 \"b\"\n10 \"a\"\n15 \"b\"\n20 \"b\"\n20 \"a\"\n";
        assert_int_equal(len, strlen(want));
        assert_memory_equal(got, want, len);
        const char *t = paths[0];
        paths[0]      = paths[1];
        paths[1]      = t;
    }
}

static const char *bad_line(void)
{
    static const char *const bad[] = {
        "\n", "x\n", "1 \"early\"\n", "{\"a\":1}\n", "999 \n", "999\n", "99999999999999999 \"far\"\n"};
    return bad[rnd() % (sizeof bad / sizeof bad[0])];
}

/* Random files, once clean and once with bad lines strewn in: the good lines come out alike, the bad ones are counted.
 */
static void test_capture_bad_lines_change_nothing_else(void **state)
{
    (void)state;
    static char clean[8192], dirty[16384], want[65536], got[65536];
    for (int round = 0; round < 100; round++) {
        const uint32_t files = 1 + (uint32_t)(rnd() % 4);
        const char    *clean_path[4], *dirty_path[4];
        uint32_t       bad = 0;
        for (uint32_t f = 0; f < files; f++) {
            size_t    clean_len = 0, dirty_len = 0;
            int64_t   ts    = 2 + (int64_t)(rnd() % 20);
            const int count = 1 + (int)(rnd() % 60);
            for (int i = 0; i < count; i++) {
                char line[64];
                ts += (int64_t)(rnd() % 3);
                (void)snprintf(line, sizeof line, "%" PRId64 " \"%u/%d\"\n", ts, f, i);
                clean_len += (size_t)snprintf(clean + clean_len, sizeof clean - clean_len, "%s", line);
                dirty_len += (size_t)snprintf(dirty + dirty_len, sizeof dirty - dirty_len, "%s", line);
                for (; rnd() % 4 == 0; bad++) {
                    dirty_len += (size_t)snprintf(dirty + dirty_len, sizeof dirty - dirty_len, "%s", bad_line());
                }
            }
            char name[16];
            (void)snprintf(name, sizeof name, "clean%u", f);
            clean_path[f] = file_put(name, clean, clean_len);
            (void)snprintf(name, sizeof name, "dirty%u", f);
            dirty_path[f] = file_put(name, dirty, dirty_len);
        }
        size_t want_len, got_len;
        assert_int_equal(read_all(clean_path, files, want, sizeof want, &want_len, NULL), ERR_END);
        assert_int_equal(bad_lines.count, 0);
        assert_int_equal(read_all(dirty_path, files, got, sizeof got, &got_len, NULL), ERR_END);
        assert_int_equal(bad_lines.count, bad);
        assert_int_equal(want_len, got_len);
        assert_memory_equal(want, got, got_len);
    }
}

/* ---- real captures ----------------------------------------------------------------------------------------------- */
static const char *shared(void)
{
    const char *s = getenv("HWAL_SHARED");
    return s != NULL ? s : "../shared";
}

static const char *data_file(const char *name)
{
    static char ring[8][512];
    static int  at;
    char       *p = ring[at++ % 8];
    (void)snprintf(p, sizeof ring[0], "%s/data/binance/%s", shared(), name);
    return p;
}

static void test_capture_real_files(void **state)
{
    (void)state;
    static const struct {
        const char *name[2];
        uint64_t    lines;
    } sets[] = {{{"usdm_btcusdt_20240808.gz", "usdm_ethusdt_20240808.gz"}, 93954 + 74655},
                {{"spot_btcusdt_20240809.gz", "spot_btcusdt_20240808.gz"}, 41249 + 58325},
                {{"cm_btcusd_perp_20240808.gz", "cm_btcusd_perp_20240809.gz"}, 48270 + 50116}};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        const char    *paths[2] = {data_file(sets[i].name[0]), data_file(sets[i].name[1])};
        capture_t     *cap;
        capture_line_t line;
        uint64_t       lines = 0, per_file[2] = {0, 0}, changes = 0;
        uint32_t       last = 9;
        int64_t        ts   = 0;
        assert_int_equal(capture_open(mem, paths, 2, &cap), ERR_OK);
        const struct mallinfo2 before = mallinfo2();
        err_t                  err;
        while ((err = capture_next(cap, &line)) == ERR_OK) {
            assert_true(line.ts_recv_ns >= ts);
            assert_true(line.text[0] == '{' && line.text[line.len - 1] == '}');
            assert_int_equal(line.line_no, ++per_file[line.file]);
            ts = line.ts_recv_ns;
            lines++;
            changes += line.file != last;
            last = line.file;
        }
        const struct mallinfo2 after = mallinfo2();
        assert_int_equal(err, ERR_END);
        assert_int_equal(lines, sets[i].lines);
        assert_int_equal(before.uordblks, after.uordblks); /* nothing was allocated */
        assert_int_equal(before.hblkhd, after.hblkhd);
        if (i == 0) {
            assert_true(changes > 1000); /* two symbols at one time are interleaved */
        } else {
            assert_int_equal(changes, 2); /* two days follow each other, whatever their order in the call */
        }
        capture_close(cap);
    }
}

static void test_probe_real_files(void **state)
{
    (void)state;
    static const struct {
        const char *name, *symbol;
        int         kind;
        bool        snapshot;
        uint32_t    px_decimals, qty_decimals;
        int64_t     px_gcd, qty_gcd; /* 0: not looked at */
    } want[] = {{"spot_btcusdt_20240808.gz", "BTCUSDT", INSTRUMENT_SPOT, true, 8, 8, 1000000, 100},
                {"spot_btcusdt_20240809.gz", "BTCUSDT", INSTRUMENT_SPOT, false, 8, 8, 1000000, 1000},
                {"usdm_btcusdt_20240808.gz", "BTCUSDT", INSTRUMENT_LINEAR, true, 2, 3, 10, 1},
                {"usdm_ethusdt_20240808.gz", "ETHUSDT", INSTRUMENT_LINEAR, true, 2, 3, 1, 1},
                {"cm_btcusd_perp_20240808.gz", "BTCUSD_PERP", INSTRUMENT_INVERSE, true, 1, 0, 1, 1},
                {"cm_btcusd_perp_20240809.gz", "BTCUSD_PERP", INSTRUMENT_INVERSE, false, 1, 0, 1, 1}};
    static capture_probe_t probe;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_int_equal(capture_probe_file(mem, data_file(want[i].name), &probe), ERR_OK);
        assert_int_equal(probe.kind, want[i].kind);
        assert_int_equal(probe.has_snapshot, want[i].snapshot);
        assert_int_equal(probe.lines, CAPTURE_PROBE_LINES);
        assert_int_equal(probe.symbol_count, 1);
        assert_string_equal(probe.symbols[0].symbol, want[i].symbol);
        assert_int_equal(probe.symbols[0].lines, CAPTURE_PROBE_LINES - want[i].snapshot);
        assert_int_equal(probe.symbols[0].px_decimals, want[i].px_decimals);
        assert_int_equal(probe.symbols[0].qty_decimals, want[i].qty_decimals);
        assert_int_equal(probe.symbols[0].px_gcd, want[i].px_gcd);
        assert_int_equal(probe.symbols[0].qty_gcd, want[i].qty_gcd);
    }
    assert_int_equal(capture_probe_file(mem, data_file("hyperliquid_btc_20250126.gz"), &probe), ERR_UNSUPPORTED);
    assert_non_null(strstr(err_msg(), "the first key is \"channel\""));
}

static void test_probe_small_files(void **state)
{
    (void)state;
    static capture_probe_t p;
    const char            *two =
        "1 {\"stream\":\"a@trade\",\"data\":{\"s\":\"A\",\"p\":\"1.50\",\"q\":\"3\"}}\n"
        "2 {\"lastUpdateId\":1,\"bids\":[[\"1.25\",\"4.5\"]],\"asks\":[]}\n"
        "3 {\"stream\":\"b@depth\",\"data\":{\"s\":\"B\",\"b\":[[\"70\",\"0.1\"]],\"a\":[[\"80\",\"0\"]]}}\n";
    const size_t one_len = (size_t)(strstr(two, "3 {") - two);
    assert_int_equal(capture_probe_file(mem, file_put("one", two, one_len), &p), ERR_OK);
    assert_int_equal(p.symbol_count, 1); /* the nameless snapshot is that of the only symbol */
    assert_int_equal(p.symbols[0].px_decimals, 2);
    assert_int_equal(p.symbols[0].px_gcd, 25);
    assert_int_equal(p.symbols[0].qty_decimals, 1);
    assert_int_equal(p.symbols[0].qty_gcd, 15);
    assert_int_equal(capture_probe_file(mem, file_put("two", two, strlen(two)), &p), ERR_OK);
    assert_int_equal(p.symbol_count, 2); /* now it could be either's */
    assert_int_equal(p.symbols[0].px_gcd, 150);
    assert_int_equal(p.symbols[1].px_gcd, 10);
    assert_int_equal(p.symbols[1].qty_decimals, 1);
    const char *bad = "1 {\"stream\":\"a@trade\",\"data\":{\"s\":\"A\",\"p\":\"x\",\"q\":\"3\"}}\n";
    assert_int_equal(capture_probe_file(mem, file_put("junk", "1 {\"a\"\n", 7), &p), ERR_TRUNCATED);
    assert_int_equal(capture_probe_file(mem, file_put("arr", "1 []\n", 5), &p), ERR_PARSE);
    assert_int_equal(capture_probe_file(mem, file_put("empty", "", 0), &p), ERR_TRUNCATED);
    assert_int_equal(capture_probe_file(mem, file_put("bad", bad, strlen(bad)), &p), ERR_PARSE); /* A is not usable */
    assert_non_null(strstr(err_msg(), "bad: line 1: \"x\" is no price"));
}

#define LINE_A(n) n " {\"stream\":\"a@trade\",\"data\":{\"s\":\"A\",\"p\":\"1.50\",\"q\":\"3\"}}\n"
#define LINE_B(n) n " {\"stream\":\"b@trade\",\"data\":{\"s\":\"B\",\"p\":\"7\",\"q\":\"3\",\"pu\":1}}\n"

static void test_probe_passes_bad_lines(void **state)
{
    (void)state;
    static capture_probe_t p;
    const char            *mixed = "junk\n"
                                   "2 {\"a\"\n"
                                   "3 {\"stream\":\"a@trade\",\"data\":{\"s\":\"A\",\"p\":\"1.2345\",\"q\":\"x\"}}\n"
                                   "4 {\"stream\":\"c@trade\",\"data\":{\"s\":\"C\",\"p\":\"x\",\"q\":\"3\",\"ps\":\"C\"}}\n"
                                   "5 {\"lastUpdateId\":1,\"bids\":[[\"1.123456\",\"1\"],[\"x\",\"1\"]],\"asks\":[]}\n"
                                   "6 {\"channel\":1}\n" LINE_A("7") "1 late\n" LINE_A("8") "9 {\"cut";
    assert_int_equal(capture_probe_file(mem, file_put("mixed", mixed, strlen(mixed)), &p), ERR_OK);
    assert_int_equal(p.symbol_count, 1); /* no trace of C, nor of the digits of bad lines */
    assert_string_equal(p.symbols[0].symbol, "A");
    assert_int_equal(p.symbols[0].lines, 2);
    assert_int_equal(p.symbols[0].px_decimals, 2);
    assert_int_equal(p.symbols[0].px_gcd, 150);
    assert_int_equal(p.kind, INSTRUMENT_SPOT);
    assert_false(p.has_snapshot);
    assert_int_equal(p.lines, 9);

    const char *other = "junk\n2 {\"a\"\n3 {\"channel\":1}\n4 {\"later\":1}\n"; /* says whose it is, not what is torn */
    assert_int_equal(capture_probe_file(mem, file_put("other", other, strlen(other)), &p), ERR_UNSUPPORTED);
    assert_non_null(
        strstr(err_msg(), "other: line 3: no Binance combined-stream capture: the first key is \"channel\""));
    assert_int_equal(capture_probe_file(mem, file_put("none", "junk\nmore\n", 10), &p), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "none: line 1: does not begin"));
}

/* A nameless snapshot stays that of the main symbol when a line of another strays into its file, at any place. */
static void test_probe_orders_symbols_by_lines(void **state)
{
    (void)state;
    static capture_probe_t p;
    char                   text[4096];
    for (int stray = 0; stray <= 10; stray++) {
        size_t len = 0;
        for (int i = 0; i <= 10; i++) {
            len += (size_t)snprintf(text + len, sizeof text - len, "%s", i == stray ? LINE_B("5") : LINE_A("5"));
        }
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "6 {\"lastUpdateId\":1,\"bids\":[[\"1.125\",\"4.5\"]],\"asks\":[]}\n");
        assert_int_equal(capture_probe_file(mem, file_put("stray", text, len), &p), ERR_OK);
        assert_int_equal(p.symbol_count, 2);
        assert_string_equal(p.symbols[0].symbol, "A");
        assert_int_equal(p.symbols[0].lines, 10);
        assert_int_equal(p.symbols[0].px_decimals, 3);
        assert_int_equal(p.symbols[0].px_gcd, 375);
        assert_int_equal(p.symbols[0].qty_gcd, 15);
        assert_string_equal(p.symbols[1].symbol, "B");
        assert_int_equal(p.symbols[1].px_decimals, 0);
    }
    size_t      len = 0;
    static char many[65536];
    for (int i = 0; i <= 64; i++) { /* symbol i has i % 3 + 1 lines */
        for (int k = 0; k <= i % 3; k++) {
            len += (size_t)snprintf(many + len, sizeof many - len,
                                    "5 {\"stream\":\"x@trade\",\"data\":{\"s\":\"S%d\",\"p\":\"1\",\"q\":\"1\"}}\n", i);
        }
        if (i == 63) {
            assert_int_equal(capture_probe_file(mem, file_put("many", many, len), &p), ERR_OK);
        }
    }
    assert_int_equal(p.symbol_count, CAPTURE_SYMBOLS_MAX);
    assert_string_equal(p.symbols[0].symbol, "S2");
    for (uint32_t i = 1; i < p.symbol_count; i++) { /* most first; equal ones as they came */
        const uint64_t a = p.symbols[i - 1].lines, b = p.symbols[i].lines;
        assert_true(a > b || (a == b && atoi(p.symbols[i - 1].symbol + 1) < atoi(p.symbols[i].symbol + 1)));
    }
    assert_int_equal(capture_probe_file(mem, file_put("many", many, len), &p), ERR_LIMIT);
    assert_non_null(strstr(err_msg(), "many: more than 64 symbols"));
}

int main(void)
{
    const char *seed = getenv("HWAL_SEED");
    rng              = seed != NULL ? strtoull(seed, NULL, 0) : 0x9e3779b97f4a7c15ULL;
    (void)fprintf(stderr, "HWAL_SEED=%" PRIu64 "\n", rng);
    rng |= 1;
    if (mkdtemp(dir) == NULL) {
        perror(dir);
        return 1;
    }
    mem = aligned_alloc(64, (capture_footprint(CAPTURE_FILES_MAX) + 63) / 64 * 64);
    if (mem == NULL) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capture_merges_by_time_then_file),
        cmocka_unit_test(test_capture_plain_cut_at_every_byte),
        cmocka_unit_test(test_capture_gzip_cut_at_every_byte),
        cmocka_unit_test(test_capture_gzip_any_bit_flipped),
        cmocka_unit_test(test_capture_gzip_members_follow_each_other),
        cmocka_unit_test(test_capture_gzip_large_members),
        cmocka_unit_test(test_capture_passes_bad_lines),
        cmocka_unit_test(test_capture_ends_at_cut_files),
        cmocka_unit_test(test_capture_bad_lines_before_a_cut),
        cmocka_unit_test(test_capture_refuses_bad_arguments),
        cmocka_unit_test(test_capture_longest_line),
        cmocka_unit_test(test_capture_wants_regular_files),
        cmocka_unit_test(test_capture_cut_stands_in_order),
        cmocka_unit_test(test_capture_bad_lines_change_nothing_else),
        cmocka_unit_test(test_probe_small_files),
        cmocka_unit_test(test_probe_passes_bad_lines),
        cmocka_unit_test(test_probe_orders_symbols_by_lines),
    };
    const struct CMUnitTest real[] = {cmocka_unit_test(test_capture_real_files),
                                      cmocka_unit_test(test_probe_real_files)};
    int                     rc     = cmocka_run_group_tests(tests, NULL, NULL);
    if (access(data_file("spot_btcusdt_20240808.gz"), R_OK) == 0) {
        rc += cmocka_run_group_tests(real, NULL, NULL);
    } else {
        (void)fprintf(stderr, "SKIP real captures: %s is not there (HWAL_SHARED)\n", data_file(""));
        rc = rc != 0 ? rc : 77;
    }
    char cmd[64];
    (void)snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    rc += system(cmd) != 0;
    free(mem);
    return rc == 0 || rc == 77 ? rc : 1;
}
