/* record_import_dbn: what is checked here
 *
 *  1. random orders of schema mbo, written as a DBN file: adds, adds of an id that stands, part cancels, modifies, trades,
 *     fills before what takes them off (all of it, less, more, nobody's, and by a modify that keeps the place), clears,
 *     events of many records: after each message of the recording its book is, queue by queue, that of dbn_book over the
 *     same records; FILL entries sum up to what was filled and taken off; trades are those of the file
 *  2. prices give scale and tick
 *  3. records that cannot be folded break the book at the same place, and a snapshot heals it
 *
 * Random flows print their seed; HWAL_SEED sets it. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapters/files/dbn.h"
#include "tests/lib/seeded.h"
#include "tools/record.h"

#define IDS 300u
#define PX INT64_C(250000000) /* 0.25 */

static char in_path[64], out_path[64];

/* ---- a file ----------------------------------------------------------------------------------------------------------- */
static uint32_t sequence;

static FILE *file_begin(void)
{
    uint8_t        head[128] = {'D', 'B', 'N', 2, 120};
    const uint16_t width     = 71;
    memcpy(head + 8, "TEST", 4);
    memcpy(head + 8 + 45, &width, sizeof width); /* of a symbol; schema 0 is mbo, and there are no lists */
    FILE *f = fopen(in_path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(head, 1, sizeof head, f), sizeof head);
    sequence = 0;
    return f;
}

static void record(FILE *f, char action, char side, uint64_t id, int64_t px, uint32_t qty, bool last)
{
    uint8_t       r[56] = {14, 0xa0, 1, 0, 7};
    const int64_t ts    = 1700000000000000000 + (int64_t)++sequence * 1000;
    r[36]               = last ? DBN_FLAG_LAST : 0;
    r[38]               = (uint8_t)action;
    r[39]               = (uint8_t)side;
    memcpy(r + 8, &ts, 8);
    memcpy(r + 16, &id, 8);
    memcpy(r + 24, &px, 8);
    memcpy(r + 32, &qty, 4);
    memcpy(r + 40, &ts, 8);
    memcpy(r + 52, &sequence, 4);
    assert_int_equal(fwrite(r, 1, sizeof r, f), sizeof r);
}

static int import(FILE *f)
{
    char *files[] = {in_path};
    assert_int_equal(fclose(f), 0);
    unlink(out_path);
    return record_import_dbn(out_path, files, 1, false, true);
}

static char *const no_files[] = {in_path, out_path};

static void files_gone(void)
{
    for (size_t i = 0; i < 2; i++) {
        unlink(no_files[i]);
    }
}

/* ---- random orders ------------------------------------------------------------------------------------------------------ */
typedef struct flow {
    FILE    *f;
    uint64_t rng;
    int64_t  qty[IDS], px[IDS];
    uint64_t filled, trades;
} flow_t;

static uint32_t below(flow_t *w, uint32_t n)
{
    return (uint32_t)(seeded_next(&w->rng) % n);
}

static char side_of(uint32_t id)
{
    return id % 2 ? 'B' : 'A';
}

static int64_t any_px(flow_t *w, uint32_t id)
{
    return PX * (int64_t)((id % 2 ? 1000 : 1020) + below(w, 20));
}

static void one(flow_t *w, bool last)
{
    const uint32_t id   = 1 + below(w, IDS - 1);
    const char     side = side_of(id);
    const uint32_t qty = 1 + below(w, 20), r = below(w, 20);
    if (w->qty[id] == 0 || r == 0) { /* 0: in place of what stands */
        w->px[id] = any_px(w, id);
        record(w->f, 'A', side, id, w->px[id], qty, last);
        w->qty[id] = qty;
    } else if (r < 4) { /* a cancel, of a part */
        const uint32_t less = 1 + below(w, (uint32_t)w->qty[id]);
        record(w->f, 'C', side, id, w->px[id], less, last);
        w->qty[id] -= less;
    } else if (r < 8) {
        w->px[id]  = r < 6 ? w->px[id] : any_px(w, id);
        w->qty[id] = qty;
        record(w->f, 'M', side, id, w->px[id], qty, last);
    } else if (r <
               16) { /* a trade, told of the order, and taken off it; in parts of the event that others stand between */
        const uint32_t told = 1 + below(w, (uint32_t)w->qty[id] + 2), off = r < 14 ? told : 1 + below(w, 20);
        const uint32_t less = off < w->qty[id] ? off : (uint32_t)w->qty[id];
        record(w->f, 'T', side == 'B' ? 'A' : 'B', 9, w->px[id], told, false);
        record(w->f, 'F', side, id, w->px[id], told, false);
        w->trades++;
        w->filled += told < less ? told : less;
        if (r % 2 && less < w->qty[id]) {
            w->qty[id] -= less;
            w->px[id] = r == 9 ? any_px(w, id) : w->px[id];
            record(w->f, 'M', side, id, w->px[id], (uint32_t)w->qty[id], last);
        } else {
            w->qty[id] -= less;
            record(w->f, 'C', side, id, w->px[id], less, last);
        }
    } else if (r == 16) {
        record(w->f, 'F', side, id, w->px[id], qty,
               last); /* and nothing takes it off, if this is the last of the event */
        if (!last) {
            w->filled += qty < w->qty[id] ? qty : (uint64_t)w->qty[id];
            record(w->f, 'C', side, id, w->px[id], (uint32_t)w->qty[id], last);
            w->qty[id] = 0;
        }
    } else if (r == 17) {
        record(w->f, 'N', 'N', 0, DBN_PX_NONE, 0, last);
    } else {
        record(w->f, 'T', 'N', 0, w->px[id], 3, last);
        w->trades++;
    }
}

static void write_random(flow_t *w, uint32_t events)
{
    w->f = file_begin();
    record(w->f, 'R', 'N', 0, DBN_PX_NONE, 0, false);
    for (uint32_t e = 0; e < events; e++) {
        const uint32_t n = below(w, 10) == 0 ? 1 + below(w, 150) : 1 + below(w, 4);
        if (below(w, 500) == 0) {
            record(w->f, 'R', 'N', 0, DBN_PX_NONE, 0, below(w, 2));
            memset(w->qty, 0, sizeof w->qty);
        }
        for (uint32_t i = 1; i < n; i++) {
            one(w, false);
        }
        record(w->f, 'N', 'N', 0, DBN_PX_NONE, 0, false);
        one(w, true);
    }
}

static mbo_t *empty_book(void)
{
    const mbo_cfg_t cfg   = {.orders_max = 1024, .levels_max = 1024};
    const size_t    align = mbo_align();
    void           *mem   = aligned_alloc(align, (mbo_footprint(&cfg) + align - 1) / align * align);
    assert_non_null(mem);
    return mbo_new(mem, &cfg);
}

static void same(const mbo_t *records, const mbo_t *entries, int64_t scale)
{
    mbo_level_t a, b;
    mbo_order_t qa[IDS], qb[IDS];
    for (side_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
        bool more = mbo_level(records, side, 0, &a);
        assert_int_equal(mbo_level_count(records, side), mbo_level_count(entries, side));
        (void)mbo_level(entries, side, 0, &b);
        while (more) {
            assert_true(a.px == b.px * scale && a.qty == b.qty && a.count == b.count);
            const uint32_t n = mbo_queue(records, side, a.px, qa, IDS);
            assert_int_equal(mbo_queue(entries, side, b.px, qb, IDS), n);
            for (uint32_t i = 0; i < n; i++) {
                assert_true(qa[i].id == qb[i].id && qa[i].qty == qb[i].qty);
            }
            more = mbo_worse(records, side, &a);
            (void)mbo_worse(entries, side, &b);
        }
    }
}

/* The recording beside the file. How many messages were compared; sums of FILL entries and trades. */
static uint32_t compare(uint64_t *filled, uint64_t *trades)
{
    static record_books_t books;
    record_file_t         f;
    recording_entry_t     entry;
    dbn_t                *dbn;
    dbn_record_t          rec;
    uint32_t              compared = 0;
    mbo_t                *book     = empty_book();
    err_t                 err;
    *filled = *trades = 0;
    books             = (record_books_t){.cfg = {.window_ticks = 256, .far_slots = 64}};
    assert_int_equal(record_open(&f, out_path), ERR_OK);
    assert_int_equal(record_instruments(&f, &books), ERR_OK);
    assert_int_equal(books.ins[1].def.px_exp, 2);
    assert_int_equal(books.ins[1].bands[0].tick, 25);
    assert_int_equal(dbn_open(in_path, &dbn), ERR_OK);
    while ((err = recording_next(f.reader, &entry)) == ERR_OK) {
        const mbo_update_t *upd = entry.msg.body;
        *trades += entry.msg.type == MSG_TRADE;
        if (entry.msg.type != MSG_MBO_UPDATE || (entry.flags & RECORDING_REFRESH)) {
            continue;
        }
        const mbo_entry_t *e = entry.msg.tail;
        for (uint32_t i = 0; i < upd->entry_count; i++) {
            *filled += e[i].action == MBO_FILL ? (uint64_t)e[i].qty : 0;
        }
        assert_int_equal(record_books_apply(&books, &entry.msg, entry.ts_ns), ERR_OK);
        if (!(upd->flags & BOOK_FLAG_LAST)) {
            continue;
        }
        do {
            assert_int_equal(dbn_next(dbn, &rec), ERR_OK);
            assert_int_equal(dbn_book(book, &rec), ERR_OK);
        } while (rec.mbo.sequence != upd->venue_seq);
        assert_true(view_health(record_books_view(&books, 1)) != FEED_BROKEN);
        same(book, l3_mbo(record_books_view(&books, 1).l3), 10000000);
        compared++;
    }
    assert_int_equal(err, ERR_END);
    dbn_close(dbn);
    record_close(&f);
    record_books_free(&books);
    free(book);
    return compared;
}

static void test_record_import_dbn_random(void **state)
{
    (void)state;
    uint64_t seed = seeded_seed("record_import_dbn"), filled, trades;
    for (uint64_t round = 0; round < seeded_rounds(4, 40); round++) {
        flow_t w = {.rng = seed + round};
        write_random(&w, 1500);
        assert_int_equal(import(w.f), 0);
        assert_true(compare(&filled, &trades) > 1000);
        assert_true(filled > 1000);
        assert_int_equal(filled, w.filled);
        assert_int_equal(trades, w.trades);
    }
    files_gone();
}

/* ---- faults ------------------------------------------------------------------------------------------------------------- */
static void test_record_import_dbn_faults(void **state)
{
    (void)state;
    static const struct {
        char        action, side;
        uint64_t    id;
        int64_t     px;
        uint32_t    qty;
        const char *reason;
    } bad[] = {{'C', 'B', 9, 100 * PX, 1, "LOST"},       {'M', 'B', 9, 100 * PX, 1, "LOST"},
               {'C', 'B', 1, 100 * PX, 6, "GARBLED"},    {'A', 'N', 9, 100 * PX, 1, "GARBLED"},
               {'A', 'B', 9, DBN_PX_NONE, 1, "GARBLED"}, {'A', 'B', 9, 100 * PX, 0, "GARBLED"},
               {'A', 'B', 0, 100 * PX, 1, "GARBLED"},    {'M', 'B', 1, 100 * PX, 0, "GARBLED"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (int healed = 0; healed < 2; healed++) {
            static record_books_t books;
            record_file_t         f;
            recording_entry_t     entry;
            FILE                 *file = file_begin();
            books                      = (record_books_t){.cfg = {.window_ticks = 256, .far_slots = 64}};
            record(file, 'R', 'N', 0, DBN_PX_NONE, 0, false);
            record(file, 'A', 'B', 1, 100 * PX, 5, true);
            record(file, bad[i].action, bad[i].side, bad[i].id, bad[i].px, bad[i].qty, true);
            record(file, 'A', 'B', 3, 100 * PX, 5, true);
            if (healed) {
                record(file, 'R', 'N', 0, DBN_PX_NONE, 0, false);
                record(file, 'A', 'A', 4, 103 * PX, 5, true);
            }
            assert_int_equal(import(file), 1);
            assert_int_equal(record_open(&f, out_path), ERR_OK);
            assert_int_equal(record_instruments(&f, &books), ERR_OK);
            while (recording_next(f.reader, &entry) == ERR_OK) {
                assert_int_equal(record_books_apply(&books, &entry.msg, entry.ts_ns), ERR_OK);
            }
            const view_t view = record_books_view(&books, 1);
            assert_string_equal(feed_reason_str(view_reason(view)), healed ? "NONE" : bad[i].reason);
            assert_int_equal(view_level_count(view, SIDE_BUY), healed ? 0 : 1);
            assert_int_equal(view_level_count(view, SIDE_SELL), healed ? 1 : 0);
            record_close(&f);
            record_books_free(&books);
        }
    }
    files_gone();
}

int main(void)
{
    snprintf(in_path, sizeof in_path, "/tmp/hwal-import-%d.dbn", (int)getpid());
    snprintf(out_path, sizeof out_path, "/tmp/hwal-import-%d.hwr", (int)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_import_dbn_random),
        cmocka_unit_test(test_record_import_dbn_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
