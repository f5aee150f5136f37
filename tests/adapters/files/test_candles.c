/* candles: what is checked here
 *
 *  1. Upbit: recorded 1-minute candles folded by threes are the 60 recorded 3-minute candles, exactly in open, high,
 *     low, close, and exactly in volume and turnover at the venue's digits
 *  2. KRX: rows, first and last of each recorded file; on the 32 days that two files share, close / 50 of the older is
 *     the newer; plain file and gzip are the same
 *  3. both: what is read passes the rules of quality where the recording does
 *  4. numbers and times by hand: quotes, commas, byte-order mark, \r, integers and exponents in JSON, leap days
 *  5. every malformed field: error, and file, line and field in the sentence; a gzip cut at every byte
 *
 * The recordings come from HWAL_SHARED; without them 1-3 are skipped and the program exits 77. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <isa-l/igzip_lib.h>

#include "adapters/files/candles.h"
#include "core/analytics/quality.h"

#define ROOM 10000
#define DAY INT64_C(86400000000000)

static bar_t   bars[ROOM], others[ROOM];
static char    dir[64];
static char    path[128];
static bool    skipped;
static uint8_t packed[65536];

static bool recorded(const char *file, char out[256])
{
    const char *shared = getenv("HWAL_SHARED");
    snprintf(out, 256, "%s/data/%s", shared != NULL ? shared : "../shared", file);
    if (access(out, R_OK) != 0) {
        printf("SKIP candles: no %s (set HWAL_SHARED)\n", out);
        skipped = true;
        return false;
    }
    return true;
}

static candles_t into(bar_t *to, unsigned px_exp, unsigned qty_exp)
{
    return (candles_t){.bars = to, .room = ROOM, .px_exp = px_exp, .qty_exp = qty_exp};
}

static void good(err_t err)
{
    if (err != ERR_OK) {
        fail_msg("%s: %s", err_str(err), err_msg());
    }
}

/* ---- recordings -------------------------------------------------------------------------------------------------- */
static void test_candles_upbit_minutes_by_threes(void **state)
{
    (void)state;
    char one[256], three[256];
    if (!recorded("upbit/upbit_1m_20200220_170000-20200220_202000.json", one) ||
        !recorded("upbit/upbit_3m_20200220_170000-20200220_200000.json", three)) {
        skip();
    }
    candles_t a = into(bars, 0, 8), b = into(others, 0, 8);
    good(candles_upbit(one, &a));
    good(candles_upbit(three, &b));
    assert_true(a.count == 200 && b.count == 60);
    assert_string_equal(a.market, "KRW-BTC");
    assert_true(a.bars[0].ts_begin_ns == INT64_C(1582185600) * 1000000000); /* 17:00 in Seoul */
    assert_true(a.bars[0].ts_end_ns - a.bars[0].ts_begin_ns == INT64_C(60000000000));
    assert_true(a.bars[199].close == 11498000 && a.bars[199].qty == 263267824);
    assert_true(a.bars[199].value == INT64_C(3027900954681) * 1000);
    bars_t fold;
    size_t n = 0;
    bar_t  bar;
    assert_int_equal(bars_init(&fold, BAR_TIME, INT64_C(180000000000)), ERR_OK);
    for (size_t i = 0; i < a.count; i++) {
        while (bars_fold(&fold, &a.bars[i]) == ERR_FULL) {
            assert_int_equal(bars_next(&fold, a.bars[i].ts_begin_ns, &bar), ERR_OK);
            if (n < b.count) {
                const bar_t *want = &b.bars[n];
                assert_true(bar.ts_begin_ns == want->ts_begin_ns && bar.ts_end_ns == want->ts_end_ns);
                assert_true(bar.open == want->open && bar.high == want->high);
                assert_true(bar.low == want->low && bar.close == want->close);
                assert_true(bar.qty == want->qty && bar.value == want->value && bar.known == want->known);
            }
            n++;
        }
    }
    assert_int_equal(n, 66);
    quality_finding_t findings[16];
    size_t            count;
    good(quality_check(a.bars, a.count, &QUALITY_LIMITS_USUAL, findings, 16, &count));
    assert_int_equal(count, 0);
}

static void first_and_last(const char *file, size_t rows, int64_t first_day, int64_t first, int64_t last_day,
                           int64_t last)
{
    char name[256];
    if (!recorded(file, name)) {
        skip();
    }
    candles_t c = into(bars, 0, 0);
    good(candles_krx(name, &c));
    assert_int_equal(c.count, rows);
    assert_true(c.bars[0].ts_begin_ns == first_day * DAY && c.bars[0].ts_end_ns == first_day * DAY + DAY);
    assert_true(c.bars[0].close == first && c.bars[0].known == BAR_PX);
    assert_true(c.bars[rows - 1].ts_begin_ns == last_day * DAY && c.bars[rows - 1].close == last);
    assert_int_equal(c.market[0], 0);
    quality_limits_t daily = QUALITY_LIMITS_USUAL; /* prices of decades: their spread and their gaps are no news */
    daily.gap_ns           = 30 * DAY;
    daily.z                = 100;
    quality_finding_t findings[64];
    size_t            count;
    good(quality_check(c.bars, c.count, &daily, findings, 64, &count));
    assert_int_equal(count, 0);
}

static void test_candles_krx_files(void **state)
{
    (void)state;
    first_and_last("krx/005930_daily_1985_2018.csv.gz", 8826, 5482, 6473, 17576, 2450000);
    assert_true(bars[8825].qty == 378118);
    first_and_last("krx/005930_daily_2018_2021.csv.gz", 986, 17533, 51020, 18991, 78300);
    first_and_last("krx/015760_daily_1989_2018.csv.gz", 7463, 7161, 23223, 17556, 35550);
}

static void test_candles_krx_split(void **state)
{
    (void)state;
    char old[256], new[256];
    if (!recorded("krx/005930_daily_1985_2018.csv.gz", old) || !recorded("krx/005930_daily_2018_2021.csv.gz", new)) {
        skip();
    }
    candles_t a = into(bars, 0, 0), b = into(others, 0, 0);
    good(candles_krx(old, &a));
    good(candles_krx(new, &b));
    size_t shared = 0;
    for (size_t i = 0; i < a.count; i++) {
        for (size_t k = 0; k < b.count; k++) {
            if (a.bars[i].ts_begin_ns == b.bars[k].ts_begin_ns) {
                assert_true(a.bars[i].close == b.bars[k].close * 50);
                shared++;
            }
        }
    }
    assert_int_equal(shared, 32);
}

/* ---- by hand ----------------------------------------------------------------------------------------------------- */
static void write_file(const void *data, size_t len)
{
    snprintf(path, sizeof(path), "%s/candles", dir);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

typedef err_t (*reader_t)(const char *path, candles_t *out);

static err_t read_text(reader_t reader, const char *text, candles_t *c)
{
    write_file(text, strlen(text));
    return reader(path, c);
}

/* The sentence says where: file, line and field. */
static void bad(reader_t reader, const char *text, err_t want, const char *line, const char *field)
{
    candles_t   c   = into(bars, 2, 3);
    const err_t err = read_text(reader, text, &c);
    if (err != want || strstr(err_msg(), path) == NULL || strstr(err_msg(), line) == NULL ||
        strstr(err_msg(), field) == NULL) {
        fail_msg("%s: %s: \"%s\"", text, err_str(err), err_msg());
    }
}

static void test_candles_krx_by_hand(void **state)
{
    (void)state;
    candles_t c = into(bars, 2, 3);
    good(read_text(candles_krx,
                   "\xef\xbb\xbf"
                   "2016-02-29,\"1,234,567.89\",5,\"-6\",\"7\",\"1,000\"\r\n2016-03-01,1,1,1,1,0",
                   &c));
    assert_int_equal(c.count, 2);
    assert_true(bars[0].ts_begin_ns == 16860 * DAY && bars[1].ts_begin_ns == 16861 * DAY);
    assert_true(bars[0].open == 123456789 && bars[0].high == 500 && bars[0].low == -600 && bars[0].close == 700);
    assert_true(bars[0].qty == 1000000 && bars[1].qty == 0 && bars[0].value == 0);
    good(read_text(candles_krx, "date,open,high,low,close,volume\n20160229,1,1,1,1,1\n", &c));
    assert_true(c.count == 1 && bars[0].ts_begin_ns == 16860 * DAY);

    static const char *const numbers[] = {"",     "x",          "1.",       "\"1,23\"",   "\"1234,567\"",  "\"1,2345\"",
                                          "\"\"", "\"1,,000\"", "\",100\"", "\"1,23.4\"", "\"1,000.1,0\"", "+1",
                                          "1 ",   "0x1",        "01"};
    for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
        static const char *const names[] = {"open", "high", "low", "close", "volume"};
        for (int col = 0; col < 5; col++) {
            char text[256];
            int  len = snprintf(text, sizeof(text), "2016-02-28,1,1,1,1,1\n2016-02-29");
            for (int k = 0; k < 5; k++) {
                len += snprintf(text + len, sizeof(text) - (size_t)len, ",%s", k == col ? numbers[n] : "2");
            }
            bad(candles_krx, text, ERR_PARSE, "line 2", names[col]);
        }
    }
    bad(candles_krx, "2016-02-29,1.001,1,1,1,1", ERR_SCALE, "line 1", "open");
    bad(candles_krx, "2016-02-29,1,1,1,1,9223372036854775.808", ERR_RANGE, "line 1", "volume");
    bad(candles_krx, "2016-02-29,1,1,1,1,1234567890123456789012345678901234567890", ERR_PARSE, "line 1", "volume");
    static const char *const dates[] = {"2015-02-29", "2016-13-01", "2016-00-10", "2016-01-00", "1969-12-31",
                                        "2262-01-01", "20160229",   "2016/02/29", "2016-2-29",  ""};
    for (size_t n = 0; n < sizeof(dates) / sizeof(dates[0]); n++) {
        char text[64];
        snprintf(text, sizeof(text), "%s,1,1,1,1,1", dates[n]);
        bad(candles_krx, text, ERR_PARSE, "line 1", "date");
    }
    bad(candles_krx, "date,open,high,low,close,volume\n2016-02-29,1,1,1,1,1\n", ERR_PARSE, "line 2", "date");
    bad(candles_krx, "2016-02-29,1,1,1,1", ERR_PARSE, "line 1", "volume");
    bad(candles_krx, "2016-02-29,1,1,1,1,1,", ERR_PARSE, "line 1", "fields");
    bad(candles_krx, "2016-02-29,1,1,1,1,\"1", ERR_PARSE, "line 1", "quote");
    bad(candles_krx, "2016-02-29,\"1\"1,1,1,1,1", ERR_PARSE, "line 1", "quote");
    bad(candles_krx, "2016-02-29,1,1,1,1,1\n\n", ERR_PARSE, "line 2", "open");
    bad(candles_krx, "", ERR_PARSE, "", "no row");
}

#define CANDLE                                                                                                         \
    "{\"market\":\"KRW-X\",\"candle_date_time_utc\":\"2020-02-20T11:19:00\",\"opening_price\":12.5,"                   \
    "\"high_price\":13,\"low_price\":1.2e1,\"trade_price\":12.75,\"candle_acc_trade_volume\":3.125,"                   \
    "\"candle_acc_trade_price\":123456789012.34567,\"unit\":240}"

/* CANDLE with `from` replaced by `to`, as the second of two candles. */
static const char *twisted(const char *from, const char *to)
{
    static char text[2048];
    const char *at = strstr(CANDLE, from);
    assert_non_null(at);
    snprintf(text, sizeof(text), "[\n" CANDLE ",\n%.*s%s%s\n]", (int)(at - (const char *)CANDLE), CANDLE, to,
             at + strlen(from));
    return text;
}

static void test_candles_upbit_by_hand(void **state)
{
    (void)state;
    candles_t c = into(bars, 2, 3);
    good(read_text(candles_upbit, "[" CANDLE "]", &c));
    assert_int_equal(c.count, 1);
    assert_string_equal(c.market, "KRW-X");
    assert_true(bars[0].ts_begin_ns == INT64_C(1582197540) * 1000000000);
    assert_true(bars[0].ts_end_ns - bars[0].ts_begin_ns == DAY / 6);
    assert_true(bars[0].open == 1250 && bars[0].high == 1300 && bars[0].low == 1200 && bars[0].close == 1275);
    assert_true(bars[0].qty == 3125 && bars[0].value == INT64_C(12345678901234567));
    assert_true(bars[0].known == (BAR_PX | BAR_KNOWS_VALUE));
    c = into(bars, 9, 9); /* the turnover does not fit 64 bits at 18 digits */
    good(read_text(candles_upbit, "[" CANDLE "]", &c));
    assert_true(bars[0].value == (i128_t)INT64_C(12345678901234567) * INT64_C(10000000000000));

    bad(candles_upbit, twisted("12.5", "12.505"), ERR_SCALE, "line 3", "opening_price");
    bad(candles_upbit, twisted("13,", "1e300,"), ERR_RANGE, "line 3", "high_price");
    bad(candles_upbit, twisted("13,", "92233720368547759,"), ERR_RANGE, "line 3", "high_price");
    bad(candles_upbit, twisted("1.2e1", "\"12\""), ERR_PARSE, "line 3", "low_price");
    bad(candles_upbit, twisted("12.75", "null"), ERR_PARSE, "line 3", "trade_price");
    bad(candles_upbit, twisted("\"trade_price\"", "\"price\""), ERR_PARSE, "line 3", "trade_price: missing");
    bad(candles_upbit, twisted("3.125", "3.1255"), ERR_SCALE, "line 3", "candle_acc_trade_volume");
    bad(candles_upbit, twisted("123456789012.34567", "0.000001"), ERR_SCALE, "line 3", "candle_acc_trade_price");
    bad(candles_upbit, twisted("11:19", "24:19"), ERR_PARSE, "line 3", "candle_date_time_utc");
    bad(candles_upbit, twisted("T11", " 11"), ERR_PARSE, "line 3", "candle_date_time_utc");
    bad(candles_upbit, twisted("KRW-X", "KRW-Y"), ERR_PARSE, "line 3", "market");
    bad(candles_upbit, twisted("KRW-X", "123456789012345678901234"), ERR_PARSE, "line 3", "market");
    bad(candles_upbit, twisted("240", "0"), ERR_PARSE, "line 3", "unit");
    bad(candles_upbit, twisted("240", "3"), ERR_PARSE, "line 3", "unit");
    bad(candles_upbit, twisted("240", "10081"), ERR_PARSE, "line 3", "unit");
    bad(candles_upbit, twisted("\"unit\"", "\"market\""), ERR_PARSE, "line 3", "duplicate");
    bad(candles_upbit, "[" CANDLE ",\n\n\n 7]", ERR_PARSE, "line 4", "candle");
    bad(candles_upbit, "[\n{\"market\":\"\\\"]\\\\\"},\n" CANDLE "]", ERR_PARSE, "line 2", "candle_date_time_utc");
    bad(candles_upbit, "[]", ERR_PARSE, "line 1", "array");
    bad(candles_upbit, CANDLE, ERR_PARSE, "line 1", "array");
    bad(candles_upbit, "", ERR_PARSE, "line 1", "");
    bad(candles_upbit, "[\n" CANDLE, ERR_PARSE, "line 2", "");
}

static void test_candles_told_apart(void **state)
{
    (void)state;
    candles_t c = into(bars, 2, 3);
    good(read_text(candles_read, " \r\n\t[" CANDLE "]", &c));
    assert_string_equal(c.market, "KRW-X");
    good(read_text(candles_read,
                   "\xef\xbb\xbf"
                   "2016-02-29,1,1,1,1,1\n",
                   &c));
    assert_true(c.count == 1 && c.market[0] == 0);
    good(read_text(candles_read, "date,open,high,low,close,volume\n20160229,1,1,1,1,1\n", &c));
    assert_true(c.count == 1 && c.market[0] == 0);
    bad(candles_read, CANDLE, ERR_PARSE, "line 1", "array");
    bad(candles_read, " \n", ERR_PARSE, "line 1", "open");
    bad(candles_read, "", ERR_PARSE, "", "no row");
    assert_int_equal(candles_read("/nowhere/at/all", &c), ERR_IO);
}

static void test_candles_refuse_files(void **state)
{
    (void)state;
    candles_t c = into(bars, 0, 0);
    assert_int_equal(candles_krx("/nowhere/at/all", &c), ERR_IO);
    assert_int_equal(candles_upbit(dir, &c), ERR_IO);
    c.px_exp = CANDLES_EXP_MAX + 1;
    assert_int_equal(candles_krx(path, &c), ERR_ARG);
    static const char text[] = "2016-02-28,1,1,1,1,1\n2016-02-29,1,1,1,1,1\n";
    c                        = into(bars, 0, 0);
    c.room                   = 1;
    assert_int_equal(read_text(candles_krx, text, &c), ERR_LIMIT);
    assert_int_equal(c.count, 1);
    assert_int_equal(read_text(candles_upbit, "[" CANDLE "," CANDLE "]", &c), ERR_LIMIT);
    assert_int_equal(c.count, 0);
    snprintf(path, sizeof(path), "%s/candles", dir);
    assert_int_equal(truncate(path, (off_t)CANDLES_TEXT_MAX + 1), 0);
    assert_int_equal(candles_krx(path, &c), ERR_LIMIT);
}

static void test_candles_gzip_cut_at_every_byte(void **state)
{
    (void)state;
    static const char   text[] = "2016-02-28,1,1,1,1,1\n2016-02-29,1,1,1,1,1\n";
    struct isal_zstream z;
    isal_deflate_init(&z);
    z.gzip_flag     = IGZIP_GZIP;
    z.next_in       = (uint8_t *)(uintptr_t)text;
    z.avail_in      = sizeof(text) - 1;
    z.next_out      = packed;
    z.avail_out     = sizeof(packed) / 2;
    z.end_of_stream = 1;
    assert_int_equal(isal_deflate(&z), 0);
    const size_t len = z.total_out;
    candles_t    c   = into(bars, 0, 0);
    for (size_t cut = 1; cut < len; cut++) {
        write_file(packed, cut);
        const err_t err = candles_krx(path, &c);
        assert_true(err == ERR_TRUNCATED || err == ERR_PARSE);
        assert_non_null(strstr(err_msg(), "gzip"));
        assert_int_equal(c.count, 0);
    }
    write_file(packed, len);
    good(candles_krx(path, &c));
    assert_int_equal(c.count, 2);
    memcpy(packed + len, packed, len); /* a second member goes on with the text */
    write_file(packed, 2 * len);
    good(candles_krx(path, &c));
    assert_int_equal(c.count, 4);
    packed[len] = 'x';
    write_file(packed, 2 * len);
    assert_int_equal(candles_krx(path, &c), ERR_PARSE);
    packed[len - 5] ^= 1; /* checksum */
    write_file(packed, len);
    assert_int_equal(candles_krx(path, &c), ERR_PARSE);
}

static void test_candles_gzip_that_grows(void **state)
{
    (void)state;
    static char         text[3u << 20]; /* more than the first piece of text */
    static uint8_t      out[1u << 20];
    struct isal_zstream z;
    memset(text, '1', sizeof(text));
    isal_deflate_init(&z);
    z.gzip_flag     = IGZIP_GZIP;
    z.next_in       = (uint8_t *)text;
    z.avail_in      = sizeof(text);
    z.next_out      = out;
    z.avail_out     = sizeof(out);
    z.end_of_stream = 1;
    assert_int_equal(isal_deflate(&z), 0);
    write_file(out, z.total_out);
    candles_t c = into(bars, 0, 0);
    assert_int_equal(candles_krx(path, &c), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "line 1: open"));
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%.40s/candles.XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_candles_upbit_minutes_by_threes),
        cmocka_unit_test(test_candles_krx_files),
        cmocka_unit_test(test_candles_krx_split),
        cmocka_unit_test(test_candles_krx_by_hand),
        cmocka_unit_test(test_candles_upbit_by_hand),
        cmocka_unit_test(test_candles_told_apart),
        cmocka_unit_test(test_candles_refuse_files),
        cmocka_unit_test(test_candles_gzip_cut_at_every_byte),
        cmocka_unit_test(test_candles_gzip_that_grows),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(dir);
    return failed != 0 ? 1 : skipped ? 77 : 0;
}
