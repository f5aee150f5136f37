/* record_books: what is checked here
 *
 *  1. random orders of one instrument and levels of another through a recorder, with thousands of orders standing (their
 *     book moves into a larger one several times), faults and snapshots among them: from each sync of the file the books
 *     are, compared at every 61st entry, those of who read everything
 *  2. a snapshot of orders given to another book makes the same book: every queue, rpt_seq, crossed ones too; what is in
 *     the middle of a message gives none
 *  3. an instrument is fed in one way: a message of the other kind breaks it, FEED_STATE too, and a snapshot heals it;
 *     defined anew it begins anew
 *
 * Random flows print their seed; HWAL_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/seeded.h"
#include "tools/record.h"
#include "tools/recorder.h"

#define WHOLE (BOOK_FLAG_FIRST | BOOK_FLAG_LAST)
#define SNAPSHOT (WHOLE | BOOK_FLAG_SNAPSHOT)
#define IDS 20000u
#define HASH_EVERY 61u

static const instrument_def_t def1  = {.instrument_id = 1,
                                       .venue_id      = 1,
                                       .kind          = INSTRUMENT_LINEAR,
                                       .px_exp        = 2,
                                       .money_exp     = 8,
                                       .settle_ccy    = 'U',
                                       .lot           = 1,
                                       .min_qty       = 1,
                                       .mult          = 1};
static const tick_band_t      bands = {.px_from = 0, .tick = 1};

static msg_t definition(const instrument_def_t *def, const char *symbol)
{
    return (msg_t){.type = MSG_INSTRUMENT_DEF, .body = def, .tail = &bands, .tail_count = 1, .text = symbol};
}

static mbo_update_t update(uint32_t flags, uint64_t rpt_seq, uint16_t count)
{
    return (mbo_update_t){.instrument_id = 1,
                          .flags         = flags,
                          .rpt_seq       = rpt_seq,
                          .venue_seq     = rpt_seq * 3,
                          .ts_recv_ns    = (int64_t)rpt_seq * 1000,
                          .entry_count   = count};
}

static msg_t message(const mbo_update_t *upd, const mbo_entry_t *entries)
{
    return (msg_t){.type = MSG_MBO_UPDATE, .body = upd, .tail = entries, .tail_count = upd->entry_count};
}

/* ---- the random stream --------------------------------------------------------------------------------------------- */
typedef struct flow {
    recorder_t recorder;
    uint64_t   rng, seq, rpt, level_rpt;
    int64_t    ts;
    bool       open;     /* in the middle of a message of several parts */
    int64_t    qty[IDS]; /* 0 = it does not stand */
    int64_t    px[IDS];
    uint32_t   standing;
} flow_t;

static void put(flow_t *f, const msg_t *msg, uint32_t topic)
{
    const recording_entry_t entry = {.msg = *msg, .seq = ++f->seq, .ts_ns = f->ts, .topic = topic};
    assert_int_equal(recorder_write(&f->recorder, &entry), ERR_OK);
}

static mbo_entry_t random_entry(flow_t *f)
{
    const uint32_t id   = 1 + (uint32_t)(seeded_next(&f->rng) % (IDS - 1));
    const side_t   side = id % 2 ? SIDE_BUY : SIDE_SELL;
    const uint64_t r    = seeded_next(&f->rng) % 10;
    const int64_t  px   = (side == SIDE_BUY ? 9000 : 10000) + (int64_t)(seeded_next(&f->rng) % 1010);
    mbo_entry_t    e    = {.order_id = id, .side = (uint8_t)side, .px = px};
    if (f->qty[id] == 0) {
        e.action   = MBO_ADD;
        f->qty[id] = e.qty = 1 + (int64_t)(seeded_next(&f->rng) % 50);
        f->px[id]          = px;
        f->standing++;
    } else if (r < 5) {
        e.action = MBO_MODIFY;
        e.px     = r < 2 ? f->px[id] : px;
        e.qty = f->qty[id] = 1 + (int64_t)(seeded_next(&f->rng) % 50);
        f->px[id]          = e.px;
    } else {
        e.action = r < 7 ? MBO_CANCEL : MBO_FILL;
        e.qty    = r < 6 ? f->qty[id] : 1 + (int64_t)(seeded_next(&f->rng) % (uint64_t)f->qty[id]);
        f->qty[id] -= e.qty;
        f->standing -= f->qty[id] == 0;
    }
    return e;
}

static void orders(flow_t *f, bool snapshot)
{
    mbo_entry_t    e[MBO_UPDATE_MAX_ENTRIES];
    const uint16_t n     = (uint16_t)(seeded_next(&f->rng) % (MBO_UPDATE_MAX_ENTRIES + 1));
    const bool     last  = snapshot || seeded_next(&f->rng) % 4 != 0;
    const uint32_t flags = (snapshot  ? BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST
                            : f->open ? 0u
                                      : BOOK_FLAG_FIRST) |
                           (last ? BOOK_FLAG_LAST : 0u);
    if (snapshot) {
        memset(f->qty, 0, sizeof f->qty);
        f->standing = 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        e[i] = random_entry(f);
    }
    const mbo_update_t upd = update(flags, ++f->rpt, n);
    const msg_t        msg = message(&upd, e);
    put(f, &msg, 1);
    f->open = !last;
}

static void levels(flow_t *f)
{
    const level_t       l[2] = {{100, 1 + (int64_t)(seeded_next(&f->rng) % 9)}, {101, 1 + (int64_t)(f->rpt % 7)}};
    const book_update_t upd  = {.instrument_id = 2,
                                .flags         = WHOLE | (f->level_rpt == 0 ? BOOK_FLAG_SNAPSHOT : 0u),
                                .rpt_seq       = ++f->level_rpt,
                                .bid_count     = 1,
                                .ask_count     = 1};
    put(f, &(msg_t){.type = MSG_BOOK_UPDATE, .body = &upd, .tail = l, .tail_count = 2}, 2);
}

static void generate(const char *path, uint64_t seed, uint64_t messages)
{
    static const recording_about_t about = {.source_count = 1, .source = {"test"}};
    const book_cfg_t               book  = {.window_ticks = 256, .far_slots = 64};
    instrument_def_t               def2  = def1;
    flow_t                        *f     = calloc(1, sizeof *f);
    f->rng                               = seed;
    f->ts                                = 1000;
    def2.instrument_id                   = 2;
    unlink(path);
    assert_int_equal(recorder_open(&f->recorder, path, &about, &book), ERR_OK);
    const msg_t first = definition(&def1, "ORDERS"), second = definition(&def2, "LEVELS");
    assert_int_equal(recorder_define(&f->recorder, &first), ERR_OK);
    assert_int_equal(recorder_define(&f->recorder, &second), ERR_OK);
    orders(f, true);
    for (uint64_t i = 0; i < messages; i++) {
        f->ts += (int64_t)(seeded_next(&f->rng) % 100);
        const uint64_t r = seeded_next(&f->rng) % 3000;
        if (r == 0 && !f->open) {
            const feed_state_t state = {.instrument_id = 1, .health = FEED_BROKEN, .reason = FEED_REASON_LOST};
            put(f, &(msg_t){.type = MSG_FEED_STATE, .body = &state}, 1);
            f->rpt += 5;
            orders(f, true);
        } else if (r % 3 == 0) {
            levels(f);
        } else {
            orders(f, false);
        }
    }
    while (f->open) {
        orders(f, false);
    }
    assert_true(f->standing > 3000); /* the book grew more than once */
    assert_int_equal(f->recorder.books.partial, 0);
    assert_int_equal(recorder_close(&f->recorder, f->ts), ERR_OK);
    free(f);
}

static uint64_t books_hash(const record_books_t *b)
{
    return view_hash(view_hash(1, record_books_view(b, 1)), record_books_view(b, 2));
}

/* Everything from the reader's place on; into hashes, by entry number, when record, else compared with them from the first
 * complete message of orders on, for what was updated last is told by time. */
static uint64_t fold(recording_reader_t *reader, uint64_t *hashes, bool record, bool from_sync)
{
    static record_books_t b;
    recording_entry_t     entry;
    bool                  fresh, updated[3] = {!from_sync, !from_sync, !from_sync};
    uint64_t              compared = 0;
    err_t                 err;
    b            = (record_books_t){.cfg = {.window_ticks = 256, .far_slots = 64}};
    bool in_sync = from_sync;
    while ((err = recording_next(reader, &entry)) == ERR_OK) {
        const bool refresh = entry.flags & RECORDING_REFRESH;
        in_sync &= refresh;
        if (entry.msg.type == MSG_INSTRUMENT_DEF) {
            assert_int_equal(record_books_define(&b, &entry.msg, &fresh), ERR_OK);
            continue;
        }
        if (refresh && !in_sync) {
            continue;
        }
        assert_int_equal(record_books_apply(&b, &entry.msg, entry.ts_ns), ERR_OK);
        updated[entry.topic] |= !refresh;
        if (entry.number % HASH_EVERY != 0) {
            continue; /* a hash goes over all orders */
        }
        if (record) {
            hashes[entry.number] = books_hash(&b);
        } else if (!refresh && b.partial == 0 && updated[1] && updated[2]) {
            assert_int_equal(hashes[entry.number], books_hash(&b));
            compared++;
        }
    }
    assert_int_equal(err, ERR_END);
    assert_true(view_health(record_books_view(&b, 1)) == FEED_LIVE ||
                view_health(record_books_view(&b, 1)) == FEED_STALE);
    record_books_free(&b);
    return compared;
}

static void test_record_books_seek(void **state)
{
    (void)state;
    const uint64_t messages = seeded_rounds(60000, 600000);
    char           path[64];
    record_file_t  f;
    snprintf(path, sizeof path, "/tmp/hwal-record-books-%d", (int)getpid());
    generate(path, seeded_seed("record_books_seek"), messages);
    assert_int_equal(record_open(&f, path), ERR_OK);
    unlink(path);
    uint64_t         *hashes = calloc(recording_extent(f.reader)->entries + 1, sizeof *hashes);
    recording_block_t block;
    uint32_t          syncs = 0;
    fold(f.reader, hashes, true, false);
    for (uint64_t i = 0; recording_block(f.reader, i, &block); i++) {
        if (block.flags & RECORDING_KEY) {
            assert_int_equal(recording_seek_number(f.reader, block.first), ERR_OK);
            const uint64_t compared = fold(f.reader, hashes, false, i != 0);
            syncs += compared > 100;
        }
    }
    assert_true(syncs >= 2);
    free(hashes);
    record_close(&f);
}

/* ---- snapshots by hand ----------------------------------------------------------------------------------------------- */
static err_t into(void *ctx, const msg_t *msg)
{
    assert_int_equal(msg->type, MSG_MBO_UPDATE);
    assert_true(msg->tail_count <= MBO_UPDATE_MAX_ENTRIES);
    return record_books_apply(ctx, msg, 77);
}

static err_t none(void *ctx, const msg_t *msg)
{
    (void)ctx;
    fail_msg("a snapshot of %s", msg_type_str(msg->type));
    return ERR_OK;
}

static void tell(record_books_t *b, uint32_t flags, uint64_t rpt_seq, const mbo_entry_t *e, uint16_t count)
{
    const mbo_update_t upd = update(flags, rpt_seq, count);
    const msg_t        msg = message(&upd, e);
    assert_int_equal(record_books_apply(b, &msg, 77), ERR_OK);
}

static void define(record_books_t *b, const char *symbol)
{
    bool        fresh;
    const msg_t msg = definition(&def1, symbol);
    assert_int_equal(record_books_define(b, &msg, &fresh), ERR_OK);
}

static void is(const record_books_t *b, view_kind_t kind, feed_health_t health, feed_reason_t reason)
{
    const view_t view = record_books_view(b, 1);
    assert_int_equal(view.kind, kind);
    assert_string_equal(feed_health_str(view_health(view)), feed_health_str(health));
    assert_string_equal(feed_reason_str(view_reason(view)), feed_reason_str(reason));
}

static void test_record_books_snapshot(void **state)
{
    (void)state;
    static record_books_t a, b;
    const uint32_t        counts[] = {0, 1, 31, 32, 33, 64, 3000};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (int crossed = 0; crossed < 2; crossed++) {
            a = b = (record_books_t){.cfg = {.window_ticks = 256, .far_slots = 64}};
            define(&a, "X");
            define(&b, "X");
            tell(&a, SNAPSHOT, 1, NULL, 0);
            for (uint32_t i = 1; i <= counts[c]; i++) {
                const mbo_entry_t e = {.order_id = i * 7,
                                       .px       = i % 2 ? 100 + i % 9 : 105 + i % 9 + (crossed ? 0 : 10),
                                       .qty      = i,
                                       .action   = MBO_ADD,
                                       .side     = i % 2 ? SIDE_BUY : SIDE_SELL};
                tell(&a, WHOLE, i + 1, &e, 1);
            }
            assert_int_equal(record_books_snapshot(&a, 1, 77, into, &b), ERR_OK);
            is(&b, VIEW_L3, view_health(record_books_view(&a, 1)), view_reason(record_books_view(&a, 1)));
            assert_int_equal(view_health(record_books_view(&a, 1)) == FEED_STALE, crossed && counts[c] > 20);
            assert_int_equal(view_hash(1, record_books_view(&a, 1)), view_hash(1, record_books_view(&b, 1)));
            tell(&a, BOOK_FLAG_FIRST, counts[c] + 2, NULL, 0);
            assert_int_equal(record_books_snapshot(&a, 1, 77, none, NULL), ERR_OK);
            record_books_free(&a);
            record_books_free(&b);
        }
    }
}

static void test_record_books_one_kind(void **state)
{
    (void)state;
    static record_books_t b;
    const mbo_entry_t     e   = {.order_id = 1, .px = 100, .qty = 5, .action = MBO_ADD, .side = SIDE_BUY};
    book_update_t         upd = {.instrument_id = 1, .flags = SNAPSHOT, .rpt_seq = 1};
    const msg_t           msg = {.type = MSG_BOOK_UPDATE, .body = &upd};
    b                         = (record_books_t){.cfg = {.window_ticks = 256, .far_slots = 64}};
    tell(&b, SNAPSHOT, 1, &e, 1); /* of nobody */
    assert_int_equal(record_books_view(&b, 1).kind, VIEW_NONE);
    define(&b, "X");
    is(&b, VIEW_L2, FEED_BROKEN, FEED_REASON_START);
    tell(&b, SNAPSHOT, 1, &e, 1);
    is(&b, VIEW_L3, FEED_LIVE, FEED_REASON_NONE);
    tell(&b, BOOK_FLAG_FIRST, 2, NULL, 0);
    assert_int_equal(b.partial, 1);
    assert_int_equal(record_books_apply(&b, &msg, 77), ERR_OK);
    is(&b, VIEW_L3, FEED_BROKEN, FEED_REASON_GARBLED);
    assert_int_equal(b.partial, 0);
    assert_int_equal(record_books_snapshot(&b, 1, 77, none, NULL), ERR_OK);
    tell(&b, SNAPSHOT, 9, &e, 1);
    is(&b, VIEW_L3, FEED_LIVE, FEED_REASON_NONE);
    const mbo_update_t more = update(WHOLE, 10, 2);
    assert_int_equal(
        record_books_apply(&b, &(msg_t){.type = MSG_MBO_UPDATE, .body = &more, .tail = &e, .tail_count = 1}, 77),
        ERR_OK);
    is(&b, VIEW_L3, FEED_BROKEN, FEED_REASON_GARBLED); /* says more entries than there are */
    define(&b, "Y");
    is(&b, VIEW_L2, FEED_BROKEN, FEED_REASON_START);
    assert_int_equal(record_books_apply(&b, &msg, 77), ERR_OK);
    is(&b, VIEW_L2, FEED_LIVE, FEED_REASON_NONE);
    tell(&b, SNAPSHOT, 1, &e, 1);
    is(&b, VIEW_L2, FEED_BROKEN, FEED_REASON_GARBLED);
    record_books_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_books_seek),
        cmocka_unit_test(test_record_books_snapshot),
        cmocka_unit_test(test_record_books_one_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
