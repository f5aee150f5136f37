/* lobster: what must hold
 *   - every field of a message and of a row comes out as the integer that its text says, whatever the file's packing
 *   - every field that is missing, no number, out of its limits or in a wrong order is refused by a sentence with file,
 *     line, field and value, and the line behind it is read as if nothing had been
 *   - a gzip cut at any byte, damaged, or followed by anything never ends in an orderly way
 *   - a long random file gives what was written, line for line, across all pieces in which it is read
 *   - garbage gives no more answers than it has lines
 *   - nothing is allocated from open to close */
#include <inttypes.h>
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

#include "adapters/files/lobster.h"
#include "tests/lib/allocations.h"
#include "tests/lib/seeded.h"

static char  dir[] = "/tmp/hwal-test-lobster-XXXXXX";
static char  path[sizeof dir + 16];
static void *mem;

static void file_put(const char *text, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* Behind what the file has, by the gzip program: reader and writer share nothing. */
static void file_gzip(const char *text, size_t len)
{
    char cmd[128];
    (void)snprintf(cmd, sizeof cmd, "gzip -nc >>%s", path);
    FILE *f = popen(cmd, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(pclose(f), 0);
}

static size_t file_get(char *out, size_t cap)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    const size_t n = fread(out, 1, cap, f);
    assert_int_equal(fclose(f), 0);
    return n;
}

static lobster_t *reader(void)
{
    lobster_t *f = NULL;
    assert_int_equal(lobster_open(mem, path, &f), ERR_OK);
    return f;
}

static lobster_t *reader_of(const char *text)
{
    file_put(text, strlen(text));
    return reader();
}

static void says(const char *what)
{
    if (!strstr(err_msg(), what)) {
        fail_msg("no \"%s\" in \"%s\"", what, err_msg());
    }
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */
static void test_lobster_message_fields(void **state)
{
    (void)state;
    static const lobster_message_t want[] = {
        {34200017459617, 0, 1, 2238200, 1, LOBSTER_EXECUTE_HIDDEN, SIDE_SELL},
        {34200189607670, 11885113, 21, 2238100, 2, LOBSTER_NEW, SIDE_BUY},
        {34200189607670, 9223372036854775807, 1000000000000, 9999999998, 3, LOBSTER_CANCEL, SIDE_BUY},
        {34201000000000, 1, 1, 1, 4, LOBSTER_DELETE, SIDE_SELL},
        {34201000000001, 7, 300, 1000000, 5, LOBSTER_EXECUTE, SIDE_SELL},
        {34201000000001, -1, 300, 1000000, 6, LOBSTER_CROSS, SIDE_SELL},
        {34201000000001, 0, 0, -1, 7, LOBSTER_HALT, SIDE_SELL},
        {35821088778456, 7, 300, 1000000, 8, LOBSTER_EXECUTE, SIDE_SELL},
        {35821088778456, 7, 300, 1000000, 9, LOBSTER_EXECUTE, SIDE_SELL},
        {86400000000000, 0, 0, 1, 10, LOBSTER_HALT, SIDE_SELL},
    };
    lobster_t *f = reader_of("34200.017459617,5,0,1,2238200,-1\n"
                             "34200.18960767,1,11885113,21,2238100,1\r\n"
                             "34200.18960767,2,9223372036854775807,1000000000000,9999999998,1\n"
                             "34201,3,1,1,1,-1\n"
                             "34201.000000001,4,7,300,1000000,-1\n"
                             "34201.000000001,6,-1,300,1000000,-1\n"
                             "34201.000000001,7,0,0,-1,-1\n"
                             "35821.088778455986,4,7,300,1000000,-1\n" /* a double's noise */
                             "35821.088778456015,4,7,300,1000000,-1\n"
                             "86400,7,0,0,1,-1"); /* no newline at the end */
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        lobster_message_t m = {0};
        if (lobster_message(f, &m) != ERR_OK) {
            fail_msg("%s", err_msg());
        }
        assert_int_equal(m.ts_event_ns, want[i].ts_event_ns);
        assert_int_equal(m.order_id, want[i].order_id);
        assert_int_equal(m.qty, want[i].qty);
        assert_int_equal(m.px, want[i].px);
        assert_int_equal(m.line_no, want[i].line_no);
        assert_int_equal(m.type, want[i].type);
        assert_int_equal(m.side, want[i].side);
    }
    lobster_message_t m;
    assert_int_equal(lobster_message(f, &m), ERR_END);
    assert_int_equal(lobster_message(f, &m), ERR_END);
    lobster_close(f);
}

typedef struct refusal {
    const char *line;
    err_t       err;
    const char *what; /* field and value, as the sentence has them */
} refusal_t;

static void test_lobster_message_refusals(void **state)
{
    (void)state;
    static const refusal_t cases[] = {
        {"", ERR_PARSE, "1 fields, must be 6"},
        {"34200.1,1,5,10,5000", ERR_PARSE, "5 fields, must be 6"},
        {"34200.1,1,5,10,5000,1,", ERR_PARSE, "7 fields, must be 6"},
        {",1,5,10,5000,1", ERR_PARSE, "time \"\""},
        {"09:30,1,5,10,5000,1", ERR_PARSE, "time \"09:30\""},
        {"34200.1234567890001,1,5,10,5000,1", ERR_SCALE, "time \"34200.1234567890001\""}, /* finer than any double */
        {"34200.123456789016,1,5,10,5000,1", ERR_SCALE, "time \"34200.123456789016\" is 16 ps off"},
        {"34200.123456788984,1,5,10,5000,1", ERR_SCALE, "time \"34200.123456788984\" is -16 ps off"},
        {"34200.1234567895,1,5,10,5000,1", ERR_SCALE, "ps off a whole nanosecond"},
        {"-1,1,5,10,5000,1", ERR_RANGE, "time \"-1\""},
        {"86400.000000001,1,5,10,5000,1", ERR_RANGE, "time \"86400.000000001\""},
        {"34199.999999999,1,5,10,5000,1", ERR_STATE, "time 34199999999999 ns is before 34200000000000 ns"},
        {"34200.1,,5,10,5000,1", ERR_PARSE, "type \"\""},
        {"34200.1,0,5,10,5000,1", ERR_RANGE, "type \"0\""},
        {"34200.1,8,5,10,5000,1", ERR_RANGE, "type \"8\""},
        {"34200.1,1.5,5,10,5000,1", ERR_SCALE, "type \"1.5\""},
        {"34200.1,1, 5,10,5000,1", ERR_PARSE, "order id \" 5\""},
        {"34200.1,1,0,10,5000,1", ERR_RANGE, "order id \"0\""},
        {"34200.1,4,-1,10,5000,1", ERR_RANGE, "order id \"-1\""},
        {"34200.1,6,-2,10,5000,1", ERR_RANGE, "order id \"-2\""},
        {"34200.1,1,9223372036854775808,10,5000,1", ERR_RANGE, "order id \"9223372036854775808\""},
        {"34200.1,1,5,x,5000,1", ERR_PARSE, "size \"x\""},
        {"34200.1,1,5,0,5000,1", ERR_RANGE, "size \"0\""},
        {"34200.1,5,0,0,5000,1", ERR_RANGE, "size \"0\""},
        {"34200.1,7,0,-1,0,-1", ERR_RANGE, "size \"-1\""},
        {"34200.1,1,5,1000000000001,5000,1", ERR_RANGE, "size \"1000000000001\""},
        {"34200.1,1,5,0.5,5000,1", ERR_SCALE, "size \"0.5\""},
        {"34200.1,1,5,10,0,1", ERR_RANGE, "price \"0\""},
        {"34200.1,1,5,10,9999999999,1", ERR_RANGE, "price \"9999999999\""},
        {"34200.1,1,5,10,50.25,1", ERR_SCALE, "price \"50.25\""},
        {"34200.1,7,0,0,2,-1", ERR_RANGE, "price \"2\""},
        {"34200.1,7,0,0,-2,-1", ERR_RANGE, "price \"-2\""},
        {"34200.1,1,5,10,5000,0", ERR_RANGE, "side 0"},
        {"34200.1,1,5,10,5000,2", ERR_RANGE, "side \"2\""},
        {"34200.1,1,5,10,5000,B", ERR_PARSE, "side \"B\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char              text[256], where[sizeof path + 16];
        lobster_message_t m = {0};
        (void)snprintf(text, sizeof text, "34200,1,1,1,100,1\n%s\n34200.5,1,2,1,100,1\n", cases[i].line);
        (void)snprintf(where, sizeof where, "%s: line 2: ", path);
        lobster_t *f = reader_of(text);
        assert_int_equal(lobster_message(f, &m), ERR_OK);
        const err_t err = lobster_message(f, &m);
        if (err != cases[i].err) {
            fail_msg("\"%s\": %s, wanted %s", cases[i].line, err_str(err), err_str(cases[i].err));
        }
        says(where);
        says(cases[i].what);
        assert_int_equal(m.line_no, 1); /* untouched */
        assert_int_equal(lobster_message(f, &m), ERR_OK);
        assert_int_equal(m.line_no, 3);
        assert_int_equal(lobster_message(f, &m), ERR_END);
        lobster_close(f);
    }
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */
static void test_lobster_row_fields(void **state)
{
    (void)state;
    static lobster_row_t row;
    lobster_t           *f = reader_of("2239500,100,2231800,7,2240000,50,2231700,1000000000000\n"
                                                 "2239500,100,-9999999999,0,9999999999,0,-9999999999,0\n");
    assert_int_equal(lobster_row(f, &row), ERR_OK);
    assert_true(row.line_no == 1 && row.levels == 2 && row.count[0] == 2 && row.count[1] == 2);
    assert_true(row.level[1][0].px == 2239500 && row.level[1][0].qty == 100);
    assert_true(row.level[0][0].px == 2231800 && row.level[0][0].qty == 7);
    assert_true(row.level[1][1].px == 2240000 && row.level[1][1].qty == 50);
    assert_true(row.level[0][1].px == 2231700 && row.level[0][1].qty == 1000000000000);
    assert_int_equal(lobster_row(f, &row), ERR_OK);
    assert_true(row.line_no == 2 && row.levels == 2 && row.count[0] == 0 && row.count[1] == 1);
    assert_int_equal(lobster_row(f, &row), ERR_END);
    lobster_close(f);
}

static void test_lobster_row_refusals(void **state)
{
    (void)state;
    static lobster_row_t   row;
    static const refusal_t cases[] = {
        {"", ERR_PARSE, "1 fields, must be 8"},
        {"120,1,110,1", ERR_PARSE, "4 fields, must be 8"},
        {"120,1,110,1,130,1,100,1,140,1,90,1", ERR_PARSE, "12 fields, must be 8"},
        {"x,1,110,1,130,1,100,1", ERR_PARSE, "ask price of level 1 \"x\""},
        {"120,-1,110,1,130,1,100,1", ERR_RANGE, "ask size of level 1 \"-1\""},
        {"120,1,11.5,1,130,1,100,1", ERR_SCALE, "bid price of level 1 \"11.5\""},
        {"120,1,110,,130,1,100,1", ERR_PARSE, "bid size of level 1 \"\""},
        {"120,1,110,1,10000000000,1,100,1", ERR_RANGE, "ask price of level 2 \"10000000000\""},
        {"120,1,110,1,130,1000000000001,100,1", ERR_RANGE, "ask size of level 2 \"1000000000001\""},
        {"120,1,110,1,130,1,-10000000000,1", ERR_RANGE, "bid price of level 2 \"-10000000000\""},
        {"120,1,110,1,130,1,100,1.5", ERR_SCALE, "bid size of level 2 \"1.5\""},
        {"120,0,110,1,130,1,100,1", ERR_RANGE, "ask price 120 of level 1 with size 0"},
        {"9999999999,1,110,1,9999999999,0,100,1", ERR_RANGE, "ask price 9999999999 of level 1 with size 1"},
        {"120,1,-5,1,130,1,100,1", ERR_RANGE, "bid price -5 of level 1 with size 1"},
        {"0,1,110,1,130,1,100,1", ERR_RANGE, "ask price of level 1 \"0\""},
        {"9999999999,0,110,1,130,1,100,1", ERR_PARSE, "ask price of level 2 stands behind an empty level"},
        {"120,1,-9999999999,0,130,1,100,1", ERR_PARSE, "bid price of level 2 stands behind an empty level"},
        {"120,1,110,1,120,1,100,1", ERR_CROSSED, "ask price 120 of level 2 is not worse than 120"},
        {"120,1,110,1,130,1,111,1", ERR_CROSSED, "bid price 111 of level 2 is not worse than 110"},
        {"120,1,120,1,130,1,100,1", ERR_CROSSED, "bid price 120 of level 1 is not below ask price 120"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256], where[sizeof path + 16];
        (void)snprintf(text, sizeof text, "120,1,110,1,130,1,100,1\n%s\n120,1,110,1,130,1,100,2\n", cases[i].line);
        (void)snprintf(where, sizeof where, "%s: line 2: ", path);
        lobster_t *f = reader_of(text);
        assert_int_equal(lobster_row(f, &row), ERR_OK);
        const err_t err = lobster_row(f, &row);
        if (err != cases[i].err) {
            fail_msg("\"%s\": %s, wanted %s", cases[i].line, err_str(err), err_str(cases[i].err));
        }
        says(where);
        says(cases[i].what);
        assert_int_equal(lobster_row(f, &row), ERR_OK);
        assert_true(row.line_no == 3 && row.level[0][1].qty == 2);
        assert_int_equal(lobster_row(f, &row), ERR_END);
        lobster_close(f);
    }
    lobster_t *f = reader_of("120,1,110\n");
    assert_int_equal(lobster_row(f, &row), ERR_PARSE);
    says("3 fields, must be a multiple of 4");
    lobster_close(f);
}

static void test_lobster_row_levels_max(void **state)
{
    (void)state;
    static lobster_row_t row;
    for (uint32_t levels = LOBSTER_LEVELS_MAX; levels <= LOBSTER_LEVELS_MAX + 1; levels++) {
        static char text[LOBSTER_LINE_MAX];
        size_t      len = 0;
        for (uint32_t i = 0; i < levels; i++) {
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%u,1,%u,2", i ? "," : "", 5000 + i, 4999 - i);
        }
        lobster_t *f = reader_of(text);
        if (levels == LOBSTER_LEVELS_MAX) {
            assert_int_equal(lobster_row(f, &row), ERR_OK);
            assert_true(row.count[0] == levels && row.count[1] == levels);
            assert_true(row.level[0][levels - 1].px == 4800 && row.level[1][levels - 1].px == 5199);
        } else {
            assert_int_equal(lobster_row(f, &row), ERR_LIMIT);
            says("201 levels, at most 200");
        }
        lobster_close(f);
    }
}

/* ---- bytes ------------------------------------------------------------------------------------------------------- */
static void test_lobster_open_refusals(void **state)
{
    (void)state;
    lobster_t *f = NULL;
    assert_int_equal(lobster_open(mem, "/nonexistent/m.csv", &f), ERR_IO);
    says("/nonexistent/m.csv: cannot open");
    assert_int_equal(lobster_open(mem, dir, &f), ERR_UNSUPPORTED);
    says(dir);
    assert_null(f);
}

static void test_lobster_line_too_long(void **state)
{
    (void)state;
    static const size_t lengths[] = {LOBSTER_LINE_MAX, LOBSTER_LINE_MAX + 1, 65536, 200000, 1000000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char *text = malloc(lengths[i] + 100);
        assert_non_null(text);
        size_t len = (size_t)sprintf(text, "34200,1,1,1,100,1\n");
        memset(text + len, '1', lengths[i]);
        len += lengths[i];
        len += (size_t)sprintf(text + len, "\n34200,1,3,1,100,1\n");
        file_put(text, len);
        lobster_t        *f = reader();
        lobster_message_t m = {0};
        assert_int_equal(lobster_message(f, &m), ERR_OK);
        assert_int_equal(lobster_message(f, &m), lengths[i] > LOBSTER_LINE_MAX ? ERR_LIMIT : ERR_PARSE);
        says("line 2: ");
        assert_int_equal(lobster_message(f, &m), ERR_OK);
        assert_true(m.line_no == 3 && m.order_id == 3);
        assert_int_equal(lobster_message(f, &m), ERR_END);
        lobster_close(f);
        file_put(text, len - 20); /* cut inside the long line */
        f = reader();
        assert_int_equal(lobster_message(f, &m), ERR_OK);
        assert_int_not_equal(lobster_message(f, &m), ERR_OK);
        assert_int_equal(lobster_message(f, &m), ERR_END);
        lobster_close(f);
        free(text);
    }
}

/* Reads all lines; returns how many were good and in *end what ended them. */
static uint64_t read_all(err_t *end)
{
    lobster_t        *f = reader();
    lobster_message_t m;
    uint64_t          n = 0;
    while ((*end = lobster_message(f, &m)) == ERR_OK) {
        n++;
    }
    const err_t again = lobster_message(f, &m);
    if (again == ERR_OK) {
        fail_msg("a line after %s", err_str(*end));
    }
    lobster_close(f);
    return n;
}

static void test_lobster_gzip_faults(void **state)
{
    (void)state;
    static const char text[] = "34200,1,1,1,100,1\n34201,1,2,1,100,1\n34202,1,3,1,100,1\n";
    static char       gz[1024];
    err_t             end;
    (void)unlink(path);
    file_gzip(text, sizeof text - 1);
    const size_t size = file_get(gz, sizeof gz);
    for (size_t cut = 1; cut < size; cut++) {
        file_put(gz, cut);
        assert_true(read_all(&end) <= 3);
        assert_int_equal(end, ERR_TRUNCATED);
        says("cut short");
    }
    file_put(gz, size);
    assert_int_equal(read_all(&end), 3);
    assert_int_equal(end, ERR_END);
    for (size_t i = size - 8; i < size - 4; i++) { /* the checksum */
        gz[i] ^= 1;
        file_put(gz, size);
        (void)read_all(&end);
        assert_int_equal(end, ERR_PARSE);
        says("damaged");
        gz[i] ^= 1;
    }
    file_put(gz, size);
    file_gzip("34203,1,4,1,100,1\n", 18); /* a second member */
    assert_int_equal(read_all(&end), 4);
    assert_int_equal(end, ERR_END);
    gz[size] = 'x';
    file_put(gz, size + 1);
    assert_int_equal(read_all(&end), 3);
    assert_int_equal(end, ERR_PARSE);
    says("bytes after the gzip data");
    file_put("", 0);
    assert_int_equal(read_all(&end), 0);
    assert_int_equal(end, ERR_END);
}

/* ---- long files -------------------------------------------------------------------------------------------------- */
static uint64_t rng;

static uint64_t rnd(uint64_t below)
{
    return seeded_next(&rng) % below;
}

static void test_lobster_long_files(void **state)
{
    (void)state;
    enum { LINES = 20000, LINE = 96 };
    rng                     = seeded_seed("test_lobster");
    lobster_message_t *in   = calloc(LINES, sizeof *in);
    char              *text = malloc(LINES * LINE);
    assert_true(in && text);
    size_t  len = 0;
    int64_t now = 34200 * NS_PER_S;
    for (int i = 0; i < LINES; i++) {
        now += (int64_t)rnd(3) * (int64_t)rnd(1000000000);
        in[i] = (lobster_message_t){.ts_event_ns = now,
                                    .order_id    = 1 + (int64_t)rnd(INT64_MAX),
                                    .qty         = 1 + (int64_t)rnd(1000),
                                    .px          = 1 + (int64_t)rnd(9999999998),
                                    .type        = (uint8_t)(1 + rnd(6)),
                                    .side        = rnd(2) ? SIDE_BUY : SIDE_SELL};
        len +=
            (size_t)snprintf(text + len, LINE, "%" PRId64 ".%09" PRId64 ",%u,%" PRId64 ",%" PRId64 ",%" PRId64 ",%d%s",
                             now / 1000000000, now % 1000000000, in[i].type, in[i].order_id, in[i].qty, in[i].px,
                             in[i].side == SIDE_BUY ? 1 : -1, rnd(8) ? "\n" : "\r\n");
    }
    for (int packed = 0; packed < 2; packed++) {
        (void)unlink(path);
        packed ? file_gzip(text, len) : file_put(text, len);
        allocations_zero();
        allocations_watch(true);
        lobster_t *f = reader();
        for (int i = 0; i < LINES; i++) {
            lobster_message_t m;
            if (lobster_message(f, &m) != ERR_OK) {
                fail_msg("%s", err_msg());
            }
            assert_true(m.ts_event_ns == in[i].ts_event_ns && m.order_id == in[i].order_id && m.qty == in[i].qty &&
                        m.px == in[i].px && m.type == in[i].type && m.side == in[i].side &&
                        m.line_no == (uint64_t)i + 1);
        }
        lobster_message_t m;
        assert_int_equal(lobster_message(f, &m), ERR_END);
        lobster_close(f);
        allocations_watch(false);
        assert_true(!allocations_counted() || allocations_count() == 0);
    }
    free(text);
    free(in);
}

/* Good text with bytes changed and its end cut off: every line is given or refused, none twice, and then it ends. */
static void test_lobster_garbage(void **state)
{
    (void)state;
    static const char    good[] = "34200.5,1,1,10,1000000,1\n34201,4,1,10,1000000,1\n120,1,110,1,130,1,100,1\n";
    static const char    odd[]  = "0123456789,.-\n\r\0e\x1f\x8b\xff";
    static lobster_row_t row;
    const uint64_t       rounds = getenv("HWAL_QUICK") != NULL ? 100 : seeded_rounds(500, 50000);
    rng                         = seeded_seed("test_lobster");
    for (uint64_t round = 0; round < rounds; round++) {
        char     text[sizeof good];
        uint64_t lines = 1, given = 0;
        memcpy(text, good, sizeof good);
        for (uint64_t edits = 1 + rnd(4); edits > 0; edits--) {
            text[rnd(sizeof good - 1)] = odd[rnd(sizeof odd - 1)];
        }
        const size_t len = rnd(sizeof good);
        for (size_t i = 0; i < len; i++) {
            lines += text[i] == '\n';
        }
        file_put(text, len);
        lobster_t        *f   = reader();
        lobster_message_t m   = {0};
        err_t             err = ERR_OK;
        while (err != ERR_END && given <= lines) {
            err = rnd(2) ? lobster_message(f, &m) : lobster_row(f, &row);
            if (err && err != ERR_END) {
                says(path);
            }
            if (len && text[0] == 0x1f && (err == ERR_PARSE || err == ERR_TRUNCATED)) {
                break; /* taken for a gzip, and a bad one: so it stays */
            }
            given += err != ERR_END;
        }
        assert_true(given <= lines);
        lobster_close(f);
    }
}

int main(void)
{
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/file", dir);
    const size_t align = lobster_align();
    mem                = aligned_alloc(align, (lobster_footprint() + align - 1) / align * align);
    assert_non_null(mem);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lobster_message_fields), cmocka_unit_test(test_lobster_message_refusals),
        cmocka_unit_test(test_lobster_row_fields),     cmocka_unit_test(test_lobster_row_refusals),
        cmocka_unit_test(test_lobster_row_levels_max), cmocka_unit_test(test_lobster_open_refusals),
        cmocka_unit_test(test_lobster_line_too_long),  cmocka_unit_test(test_lobster_gzip_faults),
        cmocka_unit_test(test_lobster_long_files),     cmocka_unit_test(test_lobster_garbage),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    (void)rmdir(dir);
    free(mem);
    return failed;
}
