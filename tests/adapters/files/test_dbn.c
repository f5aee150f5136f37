/* dbn: what is checked here
 *
 *  1. a file made here, plain and as two zstd frames: metadata, mapping, every kind of record, ts_out
 *  2. each fault of the bytes: its error, and a sentence that names file, byte and field; said again by the next call
 *  3. cut at every byte, plain and zstd; every bit flipped: an answer, never a crash (AddressSanitizer)
 *  4. dbn_book: replaced orders, part cancels, clear, snapshot, what does not touch the book, faults
 *  5. recorded small files: the same content in versions 1, 2, 3, plain and zstd, decodes to equal values; known ones
 *  6. the E-mini S&P 500 future over two days, order by order: every published fact of that recording
 *
 * 5 and 6 read HWAL_SHARED (default ../shared). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "adapters/files/dbn.h"

static int  made_fd; /* the one file that is written here, in memory, again and again */
static char path[64];

static void file_write(const void *bytes, size_t len)
{
    assert_int_equal(ftruncate(made_fd, 0), 0);
    assert_int_equal(pwrite(made_fd, bytes, len, 0), (ssize_t)len);
}

/* ---- a file made by hand: version 3, ts_out, one symbol, five records ------------------------------------------------ */

typedef struct made {
    uint8_t bytes[4096];
    size_t  len;
    size_t  mbo, mbp, ohlcv, other, definition; /* where each record begins */
} made_t;

static void put(made_t *m, size_t at, uint64_t v, size_t len)
{
    memcpy(m->bytes + at, &v, len);
}

static size_t record_put(made_t *m, uint8_t rtype, size_t body_bytes)
{
    const size_t at  = m->len;
    m->bytes[at]     = (uint8_t)((body_bytes + 8) / 4);
    m->bytes[at + 1] = rtype;
    put(m, at + 2, 7, 2);
    put(m, at + 4, 42, 4);
    put(m, at + 8, 1000 + at, 8);
    put(m, at + body_bytes, 5000 + at, 8); /* ts_out */
    m->len += body_bytes + 8;
    return at;
}

static void mbo_put(made_t *m, size_t at, uint64_t id, int64_t px, uint32_t qty, uint8_t flags, char action, char side)
{
    put(m, at + 16, id, 8);
    put(m, at + 24, (uint64_t)px, 8);
    put(m, at + 32, qty, 4);
    m->bytes[at + 36] = flags;
    m->bytes[at + 37] = 3;
    m->bytes[at + 38] = (uint8_t)action;
    m->bytes[at + 39] = (uint8_t)side;
    put(m, at + 40, 2000, 8);
    put(m, at + 48, (uint32_t)-9, 4);
    put(m, at + 52, 77, 4);
}

#define META 8u /* the metadata begins behind the head */
#define SYMBOLS (META + 104u)
#define MAPPINGS (SYMBOLS + 4 + 71 + 4 + 4)

static made_t make(void)
{
    made_t m = {.len = MAPPINGS + 4 + 71 + 4 + 8 + 71 + 5}; /* 5 fill up to a multiple of 8 */
    memcpy(m.bytes, "DBN\3", 4);
    put(&m, 4, m.len - META, 4);
    memcpy(m.bytes + META, "HAND.MADE", 9);
    put(&m, META + 18, 11, 8);
    put(&m, META + 26, UINT64_MAX, 8);
    put(&m, META + 34, 5, 8);
    m.bytes[META + 42] = 1;
    m.bytes[META + 44] = 1; /* ts_out */
    put(&m, META + 45, 71, 2);
    put(&m, SYMBOLS, 1, 4);
    memcpy(m.bytes + SYMBOLS + 4, "TEST", 4);
    put(&m, MAPPINGS, 1, 4);
    memcpy(m.bytes + MAPPINGS + 4, "TEST", 4);
    put(&m, MAPPINGS + 75, 1, 4);
    memcpy(m.bytes + MAPPINGS + 87, "42", 2);

    m.mbo = record_put(&m, 0xA0, 56);
    mbo_put(&m, m.mbo, 99, -5, 6, 128, 'A', 'B');
    m.mbp = record_put(&m, 0x01, 80);
    put(&m, m.mbp + 16, 100, 8);
    put(&m, m.mbp + 24, 3, 4);
    memcpy(m.bytes + m.mbp + 28, "TA", 2);
    put(&m, m.mbp + 32, UINT64_MAX, 8);
    put(&m, m.mbp + 48, 99, 8);
    put(&m, m.mbp + 56, 101, 8);
    put(&m, m.mbp + 64, 10, 4);
    put(&m, m.mbp + 68, 11, 4);
    put(&m, m.mbp + 72, 1, 4);
    put(&m, m.mbp + 76, 2, 4);
    m.ohlcv = record_put(&m, 0x21, 56);
    for (unsigned i = 0; i < 5; i++) {
        put(&m, m.ohlcv + 16 + 8 * i, 200 + i, 8);
    }
    m.other      = record_put(&m, 0x12, 40); /* status: only its head is read */
    m.definition = record_put(&m, 0x13, 520);
    memset(m.bytes + m.definition + 238, 'S', 71); /* a text that fills its field */
    put(&m, m.definition + 24, 250, 8);
    m.bytes[m.definition + 487] = 'F';
    return m;
}

static void made_check(void)
{
    dbn_t       *d;
    dbn_record_t r;
    const made_t m = make();
    assert_int_equal(dbn_open(path, &d), ERR_OK);
    const dbn_meta_t *meta = dbn_meta(d);
    assert_int_equal(meta->version, 3);
    assert_string_equal(meta->dataset, "HAND.MADE");
    assert_true(meta->ts_out && meta->start_ns == 11 && meta->end_ns == DBN_TS_NONE && meta->limit == 5);
    assert_true(meta->symbol_count == 1 && meta->mapping_count == 1 && meta->partial_count == 0 && meta->schema == 0);
    assert_string_equal(dbn_symbol(d, 42), "TEST");
    assert_null(dbn_symbol(d, 4));

    assert_int_equal(dbn_next(d, &r), ERR_OK);
    assert_true(r.kind == DBN_MBO && r.rtype == 0xA0 && r.publisher_id == 7 && r.instrument_id == 42);
    assert_true(r.offset == m.mbo && r.ts_event_ns == (int64_t)(1000 + m.mbo) &&
                r.ts_out_ns == (int64_t)(5000 + m.mbo));
    assert_true(r.mbo.order_id == 99 && r.mbo.px == -5 && r.mbo.qty == 6 && r.mbo.flags == 128 && r.mbo.channel == 3);
    assert_true(r.mbo.action == 'A' && r.mbo.side == 'B' && r.mbo.ts_recv_ns == 2000 && r.mbo.ts_in_delta_ns == -9 &&
                r.mbo.sequence == 77);
    assert_int_equal(dbn_next(d, &r), ERR_OK);
    assert_true(r.kind == DBN_MBP && r.mbp.px == 100 && r.mbp.qty == 3 && r.mbp.action == 'T' && r.mbp.side == 'A');
    assert_true(r.mbp.ts_recv_ns == DBN_TS_NONE && r.mbp.level_count == 1);
    const dbn_level_t *l = &r.mbp.levels[0];
    assert_true(l->bid_px == 99 && l->ask_px == 101 && l->bid_qty == 10 && l->ask_qty == 11 && l->bid_count == 1 &&
                l->ask_count == 2);
    assert_int_equal(dbn_next(d, &r), ERR_OK);
    assert_true(r.kind == DBN_OHLCV && r.ohlcv.open_px == 200 && r.ohlcv.high_px == 201 && r.ohlcv.low_px == 202 &&
                r.ohlcv.close_px == 203 && r.ohlcv.volume == 204);
    assert_int_equal(dbn_next(d, &r), ERR_OK);
    assert_true(r.kind == DBN_OTHER && r.rtype == 0x12 && r.ts_out_ns == (int64_t)(5000 + m.other));
    assert_int_equal(dbn_next(d, &r), ERR_OK);
    assert_true(r.kind == DBN_DEFINITION && r.definition.min_px_increment == 250);
    assert_int_equal(strlen(r.definition.symbol), 71);
    assert_int_equal(r.definition.instrument_class, 'F');
    assert_int_equal(dbn_next(d, &r), ERR_END);
    assert_int_equal(dbn_next(d, &r), ERR_END);
    dbn_close(d);
}

static size_t frame(const void *bytes, size_t len, int checksum, uint8_t *out, size_t room)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, checksum)));
    const size_t n = ZSTD_compress2(c, out, room, bytes, len);
    assert_false(ZSTD_isError(n));
    ZSTD_freeCCtx(c);
    return n;
}

static size_t compress(const made_t *m, uint8_t *out, size_t room) /* two frames, cut within a record */
{
    const size_t half = m->mbp + 20;
    const size_t a    = frame(m->bytes, half, 0, out, room);
    return a + frame(m->bytes + half, m->len - half, 1, out + a, room - a);
}

static void test_dbn_reads_what_was_made(void **state)
{
    (void)state;
    uint8_t      zst[8192];
    const made_t m = make();
    file_write(m.bytes, m.len);
    made_check();
    file_write(zst, compress(&m, zst, sizeof zst));
    made_check();
}

/* Far more text than input: the last of it comes out when there is nothing left to read. */
static void test_dbn_long_file(void **state)
{
    (void)state;
    enum { RECORDS = 20000 };
    const made_t m     = make();
    const size_t one   = m.mbp - m.mbo;
    const size_t len   = m.mbo + RECORDS * one;
    uint8_t     *bytes = malloc(2 * len);
    assert_non_null(bytes);
    memcpy(bytes, m.bytes, m.mbo);
    for (size_t i = 0; i < RECORDS; i++) {
        memcpy(bytes + m.mbo + i * one, m.bytes + m.mbo, one);
    }
    const size_t packed = frame(bytes, len, 0, bytes + len, len);
    file_write(bytes + len, packed);
    dbn_t       *d;
    dbn_record_t r;
    uint32_t     count = 0;
    assert_int_equal(dbn_open(path, &d), ERR_OK);
    err_t err;
    while ((err = dbn_next(d, &r)) == ERR_OK) {
        assert_true(r.offset == m.mbo + count * one && r.mbo.order_id == 99);
        count++;
    }
    assert_int_equal(err, ERR_END);
    assert_int_equal(count, RECORDS);
    dbn_close(d);
    free(bytes);
}

/* ---- 2, 3 --------------------------------------------------------------------------------------------------------------- */

/* The whole file: ERR_END, or the error that ended it, which must stay. */
static err_t drain(uint32_t *records)
{
    dbn_t       *d;
    dbn_record_t r;
    *records  = 0;
    err_t err = dbn_open(path, &d);
    if (err != ERR_OK) {
        assert_non_null(strstr(err_msg(), path));
        return err;
    }
    while ((err = dbn_next(d, &r)) == ERR_OK) {
        ++*records;
    }
    if (err != ERR_END) {
        char why[512];
        (void)snprintf(why, sizeof why, "%s", err_msg());
        assert_non_null(strstr(why, path));
        assert_non_null(strstr(why, "byte "));
        err_set(ERR_ARG, "other");
        assert_int_equal(dbn_next(d, &r), err);
        assert_string_equal(err_msg(), why);
    } else {
        assert_int_equal(dbn_next(d, &r), ERR_END);
    }
    dbn_close(d);
    return err;
}

typedef struct patch {
    size_t      at;
    uint64_t    value;
    size_t      len;
    err_t       err;
    const char *says;
    uint32_t    records; /* delivered before */
} patch_t;

static void test_dbn_faults(void **state)
{
    (void)state;
    const made_t  m         = make();
    const patch_t patches[] = {
        {0, 'X', 1, ERR_PARSE, "begins with 58, neither DBN nor zstd", 0},
        {3, 4, 1, ERR_UNSUPPORTED, "DBN version 4, limit 1..3", 0},
        {3, 0, 1, ERR_UNSUPPORTED, "DBN version 0", 0},
        {4, 99, 4, ERR_PARSE, "metadata of 99 bytes, limit from 100", 0},
        {4, DBN_METADATA_MAX + 1, 4, ERR_LIMIT, "metadata of 16777217 bytes, limit 16777216", 0},
        {4, 100, 4, ERR_PARSE, "length of the schema takes 4 bytes, 0 are left", 0},
        {META, UINT64_MAX, 8, ERR_OK, NULL, 5}, /* 9 + more: still ends */
        {META + 18, 1ULL << 63, 8, ERR_RANGE, "metadata: start 9223372036854775808", 0},
        {META + 26, UINT64_MAX - 1, 8, ERR_RANGE, "metadata: end", 0},
        {META + 45, 0, 2, ERR_PARSE, "length of symbols is 0", 0},
        {META + 100, UINT32_MAX, 4, ERR_PARSE, "definition of the schema takes 4294967295 bytes", 0},
        {SYMBOLS, UINT32_MAX, 4, ERR_PARSE, "symbols", 0},
        {MAPPINGS, UINT32_MAX, 4, ERR_PARSE, "symbol of a mapping takes 71 bytes", 0},
        {MAPPINGS, 0, 4, ERR_PARSE, "bytes behind the mappings, limit 7", 0},
        {MAPPINGS + 75, UINT32_MAX, 4, ERR_PARSE, "interval takes", 0},
        {m.mbo, 0, 1, ERR_PARSE, "length of a record 0, limit from 24", 0},
        {m.mbo, 5, 1, ERR_PARSE, "length of a record 20, limit from 24", 0},
        {m.mbo, 17, 1, ERR_PARSE, "type 0xa0 68, version 3 has 64", 0},
        {m.mbp, 15, 1, ERR_PARSE, "type 0x01 60, version 3 has 88", 1},
        {m.definition, 90, 1, ERR_PARSE, "type 0x13 360, version 3 has 528", 4},
        {m.mbo + 38, 'Z', 1, ERR_PARSE, "action 0x5a, one of ACMRTFN expected", 0},
        {m.mbo + 39, 0, 1, ERR_PARSE, "side 0x00, one of BAN expected", 0},
        {m.mbp + 29, 'b', 1, ERR_PARSE, "side 0x62", 1},
        {m.mbo + 8, 1ULL << 63, 8, ERR_RANGE, "ts_event", 0},
        {m.mbo + 40, 1ULL << 63, 8, ERR_RANGE, "ts_recv", 0},
        {m.mbo + 56, 1ULL << 63, 8, ERR_RANGE, "ts_out", 0},
        {m.definition + 48, 1ULL << 63, 8, ERR_RANGE, "activation", 4},
    };
    for (size_t i = 0; i < sizeof patches / sizeof *patches; i++) {
        const patch_t *p   = &patches[i];
        made_t         bad = m;
        uint32_t       records;
        put(&bad, p->at, p->value, p->len);
        file_write(bad.bytes, bad.len);
        assert_int_equal(drain(&records), p->err == ERR_OK ? ERR_END : p->err);
        assert_int_equal(records, p->records);
        if (p->says != NULL && strstr(err_msg(), p->says) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", err_msg(), p->says);
        }
    }
    made_t   bad = m;
    uint32_t records;
    memset(bad.bytes + META, 'x', 16);
    file_write(bad.bytes, bad.len);
    assert_int_equal(drain(&records), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "dataset has no end"));
    bad = m;
    memset(bad.bytes + SYMBOLS + 4, 'x', 71);
    file_write(bad.bytes, bad.len);
    assert_int_equal(drain(&records), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "symbols has no end within 71 bytes"));

    dbn_t *d;
    assert_int_equal(dbn_open("/nonexistent/x.dbn", &d), ERR_IO);
    assert_non_null(strstr(err_msg(), "/nonexistent/x.dbn"));
    assert_int_equal(dbn_open("/", &d), ERR_UNSUPPORTED);
}

static void test_dbn_cut_at_every_byte(void **state)
{
    (void)state;
    static uint8_t zst[8192];
    const made_t   m      = make();
    const size_t   ends[] = {m.mbo, m.mbp, m.ohlcv, m.other, m.definition, m.len};
    uint32_t       records;
    for (size_t cut = 0; cut <= m.len; cut++) {
        file_write(m.bytes, cut);
        uint32_t whole = 0;
        bool     even  = false;
        for (uint32_t i = 0; i < 6; i++) {
            even  = even || cut == ends[i];
            whole = cut >= ends[i] ? i : whole;
        }
        assert_int_equal(drain(&records), even ? ERR_END : ERR_TRUNCATED);
        assert_int_equal(records, whole);
    }
    const size_t len = compress(&m, zst, sizeof zst);
    const size_t one = ZSTD_findFrameCompressedSize(zst, len); /* cut here the stream ends within a record */
    for (size_t cut = 0; cut < len; cut++) {
        file_write(zst, cut);
        assert_int_equal(drain(&records), cut >= 1 && cut <= 3 ? ERR_PARSE : ERR_TRUNCATED);
        assert_true(cut != one || strstr(err_msg(), "a record has 20 of 88 bytes") != NULL);
    }
    memset(zst + len, 'x', 8); /* bytes behind the frames */
    file_write(zst, len + 8);
    assert_int_equal(drain(&records), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "bad zstd data"));
}

static void test_dbn_every_bit_flipped(void **state)
{
    (void)state;
    static uint8_t zst[8192];
    made_t         m    = make();
    const size_t   len  = compress(&m, zst, sizeof zst);
    const size_t   step = getenv("HWAL_QUICK") != NULL ? 7 : 1;
    uint32_t       records;
    for (size_t bit = 0; bit < m.len * 8; bit += step) {
        m.bytes[bit / 8] ^= (uint8_t)(1u << (bit & 7));
        file_write(m.bytes, m.len);
        (void)drain(&records);
        m.bytes[bit / 8] ^= (uint8_t)(1u << (bit & 7));
    }
    for (size_t bit = 0; bit < len * 8; bit += step) {
        zst[bit / 8] ^= (uint8_t)(1u << (bit & 7));
        file_write(zst, len);
        (void)drain(&records);
        zst[bit / 8] ^= (uint8_t)(1u << (bit & 7));
    }
}

/* ---- 4 -------------------------------------------------------------------------------------------------------------------- */

static mbo_t *book_make(uint32_t orders_max, uint32_t levels_max)
{
    const mbo_cfg_t cfg = {.orders_max = orders_max, .levels_max = levels_max};
    void           *mem = aligned_alloc(mbo_align(), mbo_footprint(&cfg));
    assert_non_null(mem);
    return mbo_new(mem, &cfg);
}

static err_t say(mbo_t *mbo, char action, char side, uint64_t id, int64_t px, uint32_t qty, uint8_t flags)
{
    const dbn_record_t r = {
        .kind = DBN_MBO, .mbo = {.order_id = id, .px = px, .qty = qty, .flags = flags, .action = action, .side = side}};
    return dbn_book(mbo, &r);
}

static void test_dbn_book(void **state)
{
    (void)state;
    mbo_t      *mbo = book_make(16, 16);
    mbo_order_t o;
    assert_int_equal(say(mbo, 'A', 'B', 1, 10, 5, 128), ERR_AGAIN); /* an event, and no snapshot yet */
    assert_int_equal(say(mbo, 'T', 'B', 1, 10, 5, 128), ERR_AGAIN);
    assert_int_equal(say(mbo, 'A', 'B', 1, 10, 5, DBN_FLAG_SNAPSHOT), ERR_OK);
    assert_int_equal(mbo_health(mbo), FEED_RECOVERING);
    assert_int_equal(say(mbo, 'A', 'A', 2, 11, 5, DBN_FLAG_SNAPSHOT | DBN_FLAG_LAST), ERR_OK);
    assert_int_equal(mbo_health(mbo), FEED_LIVE);
    assert_int_equal(say(mbo, 'A', 'B', 3, 10, 2, 128), ERR_OK);
    assert_int_equal(say(mbo, 'A', 'A', 1, 12, 4, 128), ERR_OK); /* in place of 1, on the other side */
    assert_true(mbo_find(mbo, 1, &o) && o.side == SIDE_SELL && o.px == 12 && o.qty == 4);
    assert_int_equal(mbo_order_count(mbo, SIDE_BUY), 1);
    assert_int_equal(say(mbo, 'C', 'A', 1, 12, 1, 128), ERR_OK); /* a part */
    assert_true(mbo_find(mbo, 1, &o) && o.qty == 3);
    assert_int_equal(say(mbo, 'M', 'A', 1, 13, 9, 128), ERR_OK);
    assert_true(mbo_find(mbo, 1, &o) && o.px == 13 && o.qty == 9);
    const uint64_t before = mbo_hash(0, mbo);
    assert_int_equal(say(mbo, 'T', 'A', 1, 13, 9, 128), ERR_OK);
    assert_int_equal(say(mbo, 'F', 'A', 1, 13, 9, 128), ERR_OK);
    assert_int_equal(say(mbo, 'N', 'N', 0, 0, 0, 128), ERR_OK);
    assert_true(mbo_hash(0, mbo) == before);
    assert_int_equal(say(mbo, 'C', 'A', 1, 13, 9, 0), ERR_OK); /* the rest */
    assert_false(mbo_find(mbo, 1, &o));
    assert_int_equal(say(mbo, 'R', 'N', 0, DBN_PX_NONE, 0, 0), ERR_OK);
    assert_true(mbo_health(mbo) == FEED_RECOVERING && mbo_order_count(mbo, SIDE_SELL) == 0);
    assert_int_equal(say(mbo, 'A', 'B', 1, 10, 5, 128), ERR_OK);
    assert_int_equal(mbo_health(mbo), FEED_LIVE);

    assert_int_equal(say(mbo, 'A', 'N', 5, 10, 5, 128), ERR_PARSE);
    assert_true(mbo_health(mbo) == FEED_BROKEN && mbo_reason(mbo) == FEED_REASON_GARBLED);
    assert_int_equal(say(mbo, 'R', 'N', 0, 0, 0, 128), ERR_OK); /* heals: the venue says that nothing stands */
    assert_int_equal(mbo_health(mbo), FEED_LIVE);
    assert_int_equal(say(mbo, 'C', 'A', 8, 12, 1, 128), ERR_NOT_FOUND);
    assert_int_equal(mbo_reason(mbo), FEED_REASON_LOST);
    assert_int_equal(say(mbo, 'A', 'B', 1, DBN_PX_NONE, 1, DBN_FLAG_SNAPSHOT), ERR_RANGE);
    free(mbo);
}

/* ---- 5 -------------------------------------------------------------------------------------------------------------------- */

static const char *shared(const char *name)
{
    static char ring[4][512];
    static int  next;
    const char *s = getenv("HWAL_SHARED");
    char       *p = ring[next++ % 4];
    (void)snprintf(p, sizeof ring[0], "%s/data/databento/%s", s != NULL ? s : "../shared", name);
    return p;
}

static void same(const dbn_record_t *a, const dbn_record_t *b)
{
    assert_true(a->kind == b->kind && a->rtype == b->rtype && a->publisher_id == b->publisher_id &&
                a->instrument_id == b->instrument_id && a->ts_event_ns == b->ts_event_ns &&
                a->ts_out_ns == b->ts_out_ns);
    switch (a->kind) {
    case DBN_MBO: assert_memory_equal(&a->mbo, &b->mbo, sizeof a->mbo); break;
    case DBN_TRADE:
    case DBN_MBP: assert_memory_equal(&a->mbp, &b->mbp, sizeof a->mbp); break;
    case DBN_OHLCV: assert_memory_equal(&a->ohlcv, &b->ohlcv, sizeof a->ohlcv); break;
    case DBN_DEFINITION: /* up to where the compiler fills it up */
        assert_memory_equal(&a->definition, &b->definition, offsetof(dbn_definition_t, update_action) + 1);
        break;
    default: break;
    }
}

static uint32_t small_read(const char *schema, const char *tail, uint8_t version, dbn_record_t *records)
{
    char   name[128];
    dbn_t *d;
    (void)snprintf(name, sizeof name, "dbn-small/test_data.%s%s", schema, tail);
    const char *file = shared(name);
    if (access(file, R_OK) != 0) {
        return UINT32_MAX;
    }
    uint32_t    count = 0;
    const err_t err   = dbn_open(file, &d);
    if (err != ERR_OK) {
        fail_msg("%s", err_msg());
    }
    assert_int_equal(dbn_meta(d)->version, version);
    err_t end;
    while (count < 8 && (end = dbn_next(d, &records[count])) == ERR_OK) {
        count++;
    }
    if (end != ERR_END) {
        fail_msg("%s", err_msg());
    }
    dbn_close(d);
    return count;
}

static void test_dbn_small_files(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        dbn_kind_t  kind;
        uint32_t    count, files;
    } schemas[] = {{"mbo", DBN_MBO, 2, 5},          {"mbp-1", DBN_MBP, 2, 4},
                   {"mbp-10", DBN_MBP, 2, 4},       {"tbbo", DBN_MBP, 2, 4},
                   {"trades", DBN_TRADE, 2, 4},     {"ohlcv-1s", DBN_OHLCV, 2, 4},
                   {"ohlcv-1m", DBN_OHLCV, 2, 4},   {"ohlcv-1h", DBN_OHLCV, 2, 4},
                   {"ohlcv-1d", DBN_OHLCV, 0, 4},   {"definition", DBN_DEFINITION, 2, 4},
                   {"bbo-1s", DBN_OTHER, 4, 3},     {"bbo-1m", DBN_OTHER, 4, 3},
                   {"cbbo-1s", DBN_OTHER, 2, 3},    {"cmbp-1", DBN_OTHER, 2, 3},
                   {"statistics", DBN_OTHER, 2, 4}, {"status", DBN_OTHER, 4, 3},
                   {"imbalance", DBN_OTHER, 2, 4}};
    static const struct {
        const char *tail;
        uint8_t     version;
    } forms[] = {{".dbn", 2}, {".v1.dbn.zst", 1}, {".v2.dbn.zst", 2}, {".v3.dbn", 3}, {".v3.dbn.zst", 3}};
    if (access(shared("dbn-small"), R_OK) != 0) {
        skip();
    }
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        dbn_record_t want[8], got[8];
        uint32_t     files = 0;
        for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
            const uint32_t count = small_read(schemas[i].schema, forms[k].tail, forms[k].version, k == 0 ? want : got);
            if (count == UINT32_MAX) {
                continue;
            }
            files++;
            assert_int_equal(count, schemas[i].count);
            for (uint32_t n = 0; n < count; n++) {
                assert_int_equal(want[n].kind, schemas[i].kind);
                if (k > 0) {
                    same(&want[n], &got[n]);
                }
            }
        }
        assert_int_equal(files, schemas[i].files);
    }
}

static void test_dbn_small_values(void **state)
{
    (void)state;
    dbn_record_t r[8];
    if (access(shared("dbn-small"), R_OK) != 0) {
        skip();
    }
    assert_int_equal(small_read("mbo", ".dbn", 2, r), 2); /* as the origin's tests publish it */
    assert_true(r[0].instrument_id == 5482 && r[0].publisher_id == 1 && r[0].ts_event_ns == 1609160400000429831);
    assert_true(r[0].mbo.order_id == 647784973705 && r[0].mbo.px == 3722750000000 && r[0].mbo.qty == 1);
    assert_true(r[0].mbo.flags == 128 && r[0].mbo.channel == 0 && r[0].mbo.action == 'C' && r[0].mbo.side == 'A');
    assert_true(r[0].mbo.ts_recv_ns == 1609160400000704060 && r[0].mbo.ts_in_delta_ns == 22993 &&
                r[0].mbo.sequence == 1170352);
    assert_int_equal(small_read("definition", ".v1.dbn.zst", 1, r), 2);
    const dbn_definition_t *def = &r[0].definition;
    assert_string_equal(def->symbol, "MSFT");
    assert_string_equal(def->exchange, "XNAS");
    assert_true(def->lot == 100 && def->instrument_class == 'K' && def->update_action == 'A');
    assert_true(def->min_px_increment == DBN_PX_NONE && def->expiration_ns == DBN_TS_NONE);
    assert_true(def->contract_multiplier == INT32_MAX && def->strike_px == DBN_PX_NONE);

    dbn_t *d;
    assert_int_equal(dbn_open(shared("dbn-small/test_data.mbo.v3.dbn"), &d), ERR_OK);
    assert_string_equal(dbn_meta(d)->dataset, "GLBX.MDP3");
    assert_string_equal(dbn_symbol(d, 5482), "ESH1");
    dbn_close(d);
}

/* ---- 6 -------------------------------------------------------------------------------------------------------------------- */

typedef struct told {
    uint64_t     records, of[128]; /* by action */
    uint64_t     snapshot, crossed;
    dbn_record_t last;
} told_t;

static void es_replay(const char *name, mbo_t *mbo, told_t *told)
{
    dbn_t       *d;
    dbn_record_t r;
    err_t        err = dbn_open(shared(name), &d);
    while (err == ERR_OK && (err = dbn_next(d, &r)) == ERR_OK) {
        assert_true(r.kind == DBN_MBO && r.instrument_id == 17077);
        if ((err = dbn_book(mbo, &r)) != ERR_OK) {
            break;
        }
        told->records++;
        told->of[(unsigned char)r.mbo.action & 127]++;
        told->snapshot += (r.mbo.flags & DBN_FLAG_SNAPSHOT) != 0;
        told->crossed += (r.mbo.flags & DBN_FLAG_LAST) != 0 && mbo_crossed(mbo);
        told->last = r;
    }
    if (err != ERR_END) {
        fail_msg("%s", err_msg());
    }
    assert_int_equal(dbn_meta(d)->version, 1);
    assert_string_equal(dbn_symbol(d, 17077), "ESH4");
    dbn_close(d);
}

static int64_t total(const mbo_t *mbo, side_t side, uint32_t *orders)
{
    mbo_level_t level;
    int64_t     sum = 0;
    *orders         = 0;
    for (bool more = mbo_level(mbo, side, 0, &level); more; more = mbo_worse(mbo, side, &level)) {
        sum += level.qty;
        *orders += level.count;
    }
    return sum;
}

static void es_levels(const mbo_t *mbo, side_t side, uint32_t count, int64_t best_px, int64_t best_qty)
{
    mbo_level_t best;
    assert_int_equal(mbo_level_count(mbo, side), count);
    assert_true(mbo_level(mbo, side, 0, &best));
    assert_int_equal(best.px, best_px);
    assert_int_equal(best.qty, best_qty);
}

static void es_final(const mbo_t *mbo, const told_t *told)
{
    uint32_t orders[2];
    assert_int_equal(mbo_health(mbo), FEED_LIVE);
    es_levels(mbo, SIDE_BUY, 922, 4810000000000, 22);
    es_levels(mbo, SIDE_SELL, 565, 4810250000000, 28);
    assert_int_equal(total(mbo, SIDE_BUY, &orders[0]), 22050);
    assert_int_equal(total(mbo, SIDE_SELL, &orders[1]), 20110);
    assert_int_equal(orders[0] + orders[1], 11217);
    assert_int_equal(orders[0], mbo_order_count(mbo, SIDE_BUY));
    assert_int_equal(orders[1], mbo_order_count(mbo, SIDE_SELL));
    assert_int_equal(told->last.mbo.sequence, 59585);
    assert_int_equal(told->last.mbo.ts_recv_ns, 1703548799446821072);
}

static void test_dbn_es_order_by_order(void **state)
{
    (void)state;
    static const char first[]  = "esh4-glbx-mdp3-20231224.mbo.dbn.zst";
    static const char second[] = "esh4-glbx-mdp3-20231225.mbo.dbn.zst";
    if (access(shared(first), R_OK) != 0) {
        skip();
    }
    mbo_t *mbo  = book_make(32768, 4096);
    told_t told = {0};
    es_replay(first, mbo, &told);
    assert_true(told.records == 8725 && told.of['A'] == 8725 && told.snapshot == 8725 && told.crossed == 0);
    assert_int_equal(mbo_health(mbo), FEED_LIVE);
    assert_int_equal(mbo_order_count(mbo, SIDE_BUY), 5192);
    assert_int_equal(mbo_order_count(mbo, SIDE_SELL), 3533);
    es_levels(mbo, SIDE_BUY, 892, 4799000000000, 16);
    es_levels(mbo, SIDE_SELL, 559, 4799500000000, 23);

    es_replay(second, mbo, &told);
    assert_int_equal(told.records, 77517);
    assert_int_equal(told.records - told.of['T'], 74544);
    assert_int_equal(told.crossed, 891);
    es_final(mbo, &told);
    const uint64_t both = mbo_hash(0, mbo);
    free(mbo);

    mbo  = book_make(32768, 4096); /* the second alone */
    told = (told_t){0};
    es_replay(second, mbo, &told);
    assert_int_equal(told.records, 68792);
    assert_true(told.of['A'] == 29216 && told.of['C'] == 17999 && told.of['M'] == 12233 && told.of['T'] == 2973 &&
                told.of['F'] == 6371);
    assert_int_equal(told.snapshot, 8725);
    es_final(mbo, &told);
    assert_true(mbo_hash(0, mbo) == both); /* queues too: the repeated snapshot is in the same order */
    free(mbo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dbn_reads_what_was_made),
        cmocka_unit_test(test_dbn_long_file),
        cmocka_unit_test(test_dbn_faults),
        cmocka_unit_test(test_dbn_cut_at_every_byte),
        cmocka_unit_test(test_dbn_every_bit_flipped),
        cmocka_unit_test(test_dbn_book),
        cmocka_unit_test(test_dbn_small_files),
        cmocka_unit_test(test_dbn_small_values),
        cmocka_unit_test(test_dbn_es_order_by_order),
    };
    made_fd = memfd_create("made.dbn", MFD_CLOEXEC);
    if (made_fd < 0) {
        perror("memfd_create");
        return 1;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", made_fd);
    int rc = cmocka_run_group_tests(tests, NULL, NULL) != 0;
    if (access(shared(""), R_OK) != 0) {
        (void)fprintf(stderr, "SKIP recorded files: %s is not there (HWAL_SHARED)\n", shared(""));
        rc = rc != 0 ? rc : 77;
    }
    return rc;
}
