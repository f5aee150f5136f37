/* The engine's loop among rings, journal and venue, in one process (tests/lib/house.h).
 *
 * Checked   orders leave, fill and are journaled; verify finds the journal equal, and an edited record by its place;
 *           not one allocation in a turn; market data that was lapped breaks books that then heal; levels of jrn: 154,
 *           suspension, halt, and back; a full ord ring: 158; fence: nothing is sent any more; kill words: journaled
 *           once, taken up by the next life; what an adapter may not say is dropped; orderly stop: snapshot, from
 *           which the next life begins. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/engine/engine_view.h"
#include "ipc/message.h"
#include "tests/lib/allocations.h"
#include "tests/lib/house.h"
#include "tools/verify.h"

static uint64_t counted(const house_t *h, counter_t counter)
{
    return counter_get(h->ctx->counters, counter);
}

/* A house whose engine trades. */
static house_t *trading(uint64_t seed)
{
    house_t *h = house_open(seed);
    assert_int_equal(house_boot(h, true), ERR_OK);
    for (int i = 0; i < 50 && (!house_trades(h) || !h->taken_count); i++) {
        house_pump(h, 200);
    }
    assert_true(house_trades(h));
    assert_true(h->taken_count > 0);
    return h;
}

static feed_health_t health(const house_t *h, uint32_t id)
{
    feed_state_t feed;
    assert_true(engine_feed_record(h->e->loop.engine, id, &feed));
    return (feed_health_t)feed.health;
}

/* ---- journal and verify -------------------------------------------------------------------------------------------- */
static void test_engine_journals_what_verify_finds_equal(void **state)
{
    (void)state;
    static verify_result_t v;
    house_t               *h = trading(1);
    house_pump(h, 5000);
    house_journal(h);
    assert_int_equal(verify_dir(h->dir, &v), ERR_OK);
    assert_true(v.equal);
    assert_int_equal(v.last_sequence, h->e->loop.sequence);
    assert_int_equal(v.inputs, counted(h, COUNTER_INPUTS));
    assert_int_equal(v.last_record, h->e->loop.jrn.next - 1);
    assert_int_equal(v.state_hash, engine_state_hash(h->e->loop.engine));
    assert_true(counted(h, COUNTER_FILLS) > 0);
    assert_int_equal(counted(h, COUNTER_ORDERS) + counted(h, COUNTER_REPLACES) + counted(h, COUNTER_CANCELS),
                     h->taken_count);
    static histogram_copy_t event, decide;
    histogram_copy(h->e->loop.event, &event);
    histogram_copy(h->e->loop.decide, &decide);
    printf("%llu inputs, %llu outputs, %u requests, %.0f inputs/s verified; event p50 %llu p99 %llu ns, "
           "decide p50 %llu ns\n",
           (unsigned long long)v.inputs, (unsigned long long)v.outputs, h->taken_count, (double)v.inputs / v.seconds,
           (unsigned long long)histogram_quantile(&event, 500000),
           (unsigned long long)histogram_quantile(&event, 990000),
           (unsigned long long)histogram_quantile(&decide, 500000));
    house_close(h);
}

/* Write the whole journal once more, with one message of it changed, and well sealed. */
typedef enum edit { EDIT_REQUEST_PX, EDIT_HASH, EDIT_DROP_OUTPUT, EDIT_REPORT_QTY, EDIT_COUNT } edit_t;

static uint64_t rewrite(house_t *h, edit_t edit)
{
    char                dir[128];
    journal_reader_t   *in;
    journal_entry_t     e;
    house_t             copy = *h;
    static uint8_t      head[JOURNAL_BLOCK_BYTES];
    _Alignas(8) uint8_t bytes[RECORD_BYTES_MAX];
    uint64_t            edited = 0;
    journal_block_t     block;
    assert_int_equal(journal_open_dir(h->dir, &h->id, &in), ERR_OK);
    snprintf(dir, sizeof dir, "%s/000001.new", h->dir);
    const int fd = open(dir, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(ftruncate(fd, HOUSE_JOURNAL_BYTES), 0);
    journal_pos_first(&copy.pos, &h->id);
    const journal_file_t file = {.id = h->id, .pos = copy.pos, .bytes = HOUSE_JOURNAL_BYTES, .build_id = "edited"};
    journal_file_head(head, &file);
    assert_int_equal(pwrite(fd, head, sizeof head, 0), sizeof head);
    journal_block_begin(&block, h->block, &copy.pos);
    while (journal_next(in, &e) == ERR_OK) {
        memcpy(bytes, e.bytes, e.len);
        msg_t    msg;
        uint8_t *message = record_message(bytes);
        assert_int_equal(message_read(e.record.msg.type, message, e.len - RECORD_PREFIX, &msg), ERR_OK);
        uint8_t            *body = message + ((const uint8_t *)msg.body - message);
        const bool          late = e.number > h->e->loop.jrn.next / 4 && !edited;
        const record_head_t was  = e.record.head;
        if (late && edit == EDIT_REQUEST_PX && was.kind == RECORD_OUTPUT && msg.type == MSG_ORDER_REQUEST) {
            ((order_req_t *)(void *)body)->px++;
            edited = e.number;
        } else if (late && edit == EDIT_HASH && was.kind == RECORD_INPUT && !was.outputs) {
            record_head_t now = was;
            now.output_hash ^= 1;
            record_head_set(bytes, &now);
            edited = e.number;
        } else if (late && edit == EDIT_REPORT_QTY && was.kind == RECORD_INPUT && msg.type == MSG_EXEC_REPORT &&
                   ((exec_report_t *)(void *)body)->exec_type == EXEC_TYPE_TRADE) {
            ((exec_report_t *)(void *)body)->last_qty += 1;
            edited = e.number;
        } else if (late && edit == EDIT_DROP_OUTPUT && was.kind == RECORD_INPUT && was.outputs) {
            record_head_t now = was;
            now.outputs--; /* and its last output goes to the next */
            record_head_set(bytes, &now);
            edited = e.number;
        }
        if (journal_block_add(&block, bytes, e.len) == ERR_FULL) {
            const uint64_t at  = copy.pos.offset;
            const uint32_t len = journal_block_seal(&block, &copy.pos, 0);
            assert_int_equal(pwrite(fd, h->block, len, (off_t)at), len);
            journal_block_begin(&block, h->block, &copy.pos);
            assert_int_equal(journal_block_add(&block, bytes, e.len), ERR_OK);
        }
    }
    const uint64_t at  = copy.pos.offset;
    const uint32_t len = journal_block_seal(&block, &copy.pos, 0);
    assert_int_equal(pwrite(fd, h->block, len, (off_t)at), len);
    journal_close(in);
    close(fd);
    char to[128];
    snprintf(to, sizeof to, "%s/000001.hj", h->dir);
    assert_int_equal(rename(dir, to), 0);
    assert_true(edited);
    return edited;
}

static void test_verify_names_the_first_difference_of_an_edited_journal(void **state)
{
    (void)state;
    static verify_result_t v;
    static const char     *fields[EDIT_COUNT] = {"px", "output_hash", NULL, NULL};
    for (edit_t edit = 0; edit < EDIT_COUNT; edit++) {
        house_t *h = trading(2);
        house_pump(h, 3000);
        house_journal(h);
        const uint64_t edited = rewrite(h, edit);
        assert_int_equal(verify_dir(h->dir, &v), ERR_OK);
        assert_false(v.equal);
        if (edit == EDIT_DROP_OUTPUT) { /* the file itself contradicts: a fault of the journal or a difference, named */
            assert_true(v.diff.found || v.note[0]);
        } else {
            assert_true(v.diff.found);
            assert_true(v.diff.number >= edited);
        }
        if (fields[edit]) {
            assert_int_equal(v.diff.number, edited);
            assert_string_equal(v.diff.field, fields[edit]);
        }
        printf("edit of record %llu: record %llu, %s: %s%s\n", (unsigned long long)edited,
               (unsigned long long)v.diff.number, v.diff.field, v.diff.text, v.note);
        house_close(h);
    }
}

/* ---- memory -------------------------------------------------------------------------------------------------------- */
static void test_engine_allocates_nothing_in_a_turn(void **state)
{
    (void)state;
    if (!allocations_counted()) {
        printf("SKIP allocations are not counted under sanitizers\n");
        skip();
    }
    house_t       *h     = trading(3);
    const uint32_t taken = h->taken_count;
    allocations_zero();
    for (int i = 0; i < 5000; i++) {
        house_market(h, 1);
        h->e->loop.mono_offset_ns += NS_PER_MS; /* strategies wait by engine time */
        allocations_watch(true);
        house_turn(h);
        allocations_watch(false);
        house_venue(h);
        if (i % 64 == 0) {
            house_journal(h);
        }
    }
    assert_int_equal(allocations_count(), 0);
    assert_true(h->taken_count > taken);
    allocations_watch(true);          /* the hook itself works */
    void *volatile block = malloc(1); /* volatile: else a compiler may leave both calls out */
    free(block);
    allocations_watch(false);
    assert_int_equal(allocations_count(), 1);
    house_close(h);
}

/* ---- market data --------------------------------------------------------------------------------------------------- */
static void test_engine_breaks_books_when_it_was_lapped_and_they_heal(void **state)
{
    (void)state;
    house_t *h = trading(4);
    assert_int_equal(health(h, 1), FEED_LIVE);
    const uint64_t written = h->md_messages;
    while (h->md_messages < written + 3 * 4096) {
        house_market(h, 1);
    }
    house_turn(h);
    assert_true(counted(h, COUNTER_MD_LOST) > 4096);
    assert_int_equal(health(h, 1), FEED_BROKEN);
    for (int i = 0; i < 100 && health(h, 1) != FEED_LIVE; i++) {
        house_pump(h, 100);
        usleep(20000); /* a snapshot is asked for once a second, and answered */
    }
    assert_int_equal(health(h, 1), FEED_LIVE);
    house_close(h);
}

/* published: the record in that place, of that type. */
static msg_t published(const house_t *h, record_id_t record, uint32_t place, msg_type_t type, void *bytes, size_t cap)
{
    records_reader_t reader;
    ring_meta_t      meta;
    uint64_t         version;
    size_t           len;
    msg_t            msg;
    const void      *mem = segment_find(&h->ctx->own, topology_record_name(record), SEGMENT_RECORDS, &len);
    assert_non_null(mem);
    assert_int_equal(records_reader_join(&reader, mem, len), ERR_OK);
    assert_int_equal(records_read(&reader, place, bytes, cap, &meta, &version), ERR_OK);
    assert_int_equal(meta.type, type);
    assert_int_equal(message_read(type, bytes, meta.len, &msg), ERR_OK);
    return msg;
}

/* An instrument that an adapter feeds by single orders: limits come with its first price, its book and its trading day are
 * published, the journal holds what made it. */
static void test_engine_takes_single_orders_and_publishes_the_day(void **state)
{
    (void)state;
    _Alignas(8) uint8_t    bytes[MESSAGE_BYTES_MAX];
    house_t               *h    = trading(20);
    const instrument_def_t def  = {.venue_id   = 1,
                                   .kind       = INSTRUMENT_SPOT,
                                   .px_exp     = 2,
                                   .qty_exp    = 3,
                                   .money_exp  = 8,
                                   .mult       = 1,
                                   .lot        = 1,
                                   .min_qty    = 1,
                                   .settle_ccy = ccy_pack("USDT")};
    const tick_band_t      band = {.tick = 1};
    house_exec(h, &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def, .tail = &band, .tail_count = 1, .text = "SINGLE"});
    house_turn(h);
    const uint32_t id = engine_instrument_find(h->e->loop.engine, 1, "SINGLE");
    assert_true(id > 0);
    const mbo_entry_t  entries[] = {{.order_id = 7, .px = 10000, .qty = 5, .action = MBO_ADD, .side = SIDE_BUY},
                                    {.order_id = 8, .px = 10000, .qty = 6, .action = MBO_ADD, .side = SIDE_BUY},
                                    {.order_id = 9, .px = 10010, .qty = 1, .action = MBO_ADD, .side = SIDE_SELL}};
    const mbo_update_t update    = {.instrument_id = id,
                                    .flags         = BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST,
                                    .rpt_seq       = 1,
                                    .venue_seq     = 1,
                                    .ts_recv_ns    = role_utc_ns(),
                                    .entry_count   = 3};
    house_md(h, &(msg_t){.type = MSG_MBO_UPDATE, .body = &update, .tail = entries, .tail_count = 3});
    const trade_t trade = {.instrument_id = id, .px = 10010, .qty = 4, .ts_recv_ns = role_utc_ns()};
    house_md(h, &(msg_t){.type = MSG_TRADE, .body = &trade});
    house_turn(h);
    house_turn(h); /* the first price had set-up records to itself */
    assert_int_equal(health(h, id), FEED_LIVE);
    assert_int_equal(view_ahead(engine_market(h->e->loop.engine, id), 8), 5);
    assert_true(h->e->loop.priced[id]);
    msg_t                msg      = published(h, RECORD_ID_BOOKS, id - 1, MSG_BOOK_UPDATE, bytes, sizeof bytes);
    const book_update_t *book     = msg.body;
    const level_t        levels[] = {{10000, 11}, {10010, 1}};
    assert_int_equal(book->bid_count, 1);
    assert_int_equal(book->ask_count, 1);
    assert_memory_equal(msg.tail, levels, sizeof levels);
    msg                     = published(h, RECORD_ID_STATISTICS, id - 1, MSG_STATISTICS, bytes, sizeof bytes);
    const statistics_t *day = msg.body;
    assert_int_equal(day->instrument_id, id);
    assert_int_equal(day->trades, 1);
    assert_int_equal(day->volume, 4);
    assert_int_equal(day->vwap_px, 10010);
    assert_int_equal(day->day_utc_ns, role_utc_ns() / NS_PER_DAY * NS_PER_DAY);
    house_journal(h);
    uint64_t sequence;
    assert_int_equal(house_reference(h, &sequence), engine_state_hash(h->e->loop.engine));
    house_close(h);
}

/* Published books: each message is in the record, whether it changed a level that the record shows, one below it, or
 * came in parts of which only the first did. */
static void test_engine_publishes_a_book_again(void **state)
{
    (void)state;
    _Alignas(8) uint8_t    bytes[MESSAGE_BYTES_MAX];
    house_t               *h    = trading(20);
    const instrument_def_t def  = {.venue_id   = 1,
                                   .kind       = INSTRUMENT_SPOT,
                                   .px_exp     = 2,
                                   .qty_exp    = 3,
                                   .money_exp  = 8,
                                   .mult       = 1,
                                   .lot        = 1,
                                   .min_qty    = 1,
                                   .settle_ccy = ccy_pack("USDT")};
    const tick_band_t      band = {.tick = 1};
    house_exec(h, &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def, .tail = &band, .tail_count = 1, .text = "AGAIN"});
    house_turn(h);
    const uint32_t id = engine_instrument_find(h->e->loop.engine, 1, "AGAIN");
    level_t        snapshot[60];
    for (int64_t i = 0; i < 30; i++) { /* 30 a side; the record shows 20 */
        snapshot[i]      = (level_t){10000 - i, 5};
        snapshot[30 + i] = (level_t){10001 + i, 6};
    }
    const struct {
        uint32_t flags;
        uint16_t bids, asks;
        level_t  level;
    } steps[] = {
        {7, 30, 30, {0, 0}},   {6, 1, 0, {9980, 9}}, /* the 21st bid: not shown */
        {6, 1, 0, {9981, 9}},                        /* the 20th */
        {6, 0, 1, {10021, 0}},                       /* the 21st ask */
        {6, 0, 1, {10005, 0}},                       /* the 5th goes */
        {2, 1, 0, {9990, 77}}, {4, 1, 0, {9975, 8}}, /* in parts */
        {6, 1, 0, {9000, 1}},
    };
    for (uint64_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const book_update_t update = {.instrument_id = id,
                                      .flags         = steps[i].flags,
                                      .rpt_seq       = i + 1,
                                      .venue_seq     = 100 + i,
                                      .ts_recv_ns    = role_utc_ns(),
                                      .bid_count     = steps[i].bids,
                                      .ask_count     = steps[i].asks};
        house_md(h, &(msg_t){.type       = MSG_BOOK_UPDATE,
                             .body       = &update,
                             .tail       = i == 0 ? snapshot : &steps[i].level,
                             .tail_count = (uint32_t)steps[i].bids + steps[i].asks});
        house_turn(h);
        assert_int_equal(health(h, id), FEED_LIVE);
        if ((steps[i].flags & BOOK_FLAG_LAST) == 0) {
            continue;
        }
        const msg_t          msg  = published(h, RECORD_ID_BOOKS, id - 1, MSG_BOOK_UPDATE, bytes, sizeof bytes);
        const book_update_t *body = msg.body;
        level_t              bids[20], asks[20];
        uint32_t             bid_count, ask_count;
        book_top(engine_book(h->e->loop.engine, id), 20, bids, &bid_count, asks, &ask_count);
        assert_int_equal(body->venue_seq, 100 + i);
        assert_int_equal(body->ts_recv_ns, update.ts_recv_ns);
        assert_int_equal(body->rpt_seq, engine_seq(h->e->loop.engine));
        assert_int_equal(body->bid_count, 20);
        assert_int_equal(body->ask_count, 20);
        assert_int_equal(msg.tail_count, 40);
        assert_memory_equal(msg.tail, bids, sizeof bids);
        assert_memory_equal((const level_t *)msg.tail + 20, asks, sizeof asks);
    }
    house_close(h);
}

static void test_engine_drops_what_an_adapter_may_not_say(void **state)
{
    (void)state;
    house_t        *h        = trading(5);
    const uint64_t  sequence = h->e->loop.sequence, execs = h->e->loop.sources[0].exec.next;
    const boot_t    boot = {.epoch = 4000};
    const control_t kill = {.kind = CONTROL_KILL, .scope_type = SCOPE_GLOBAL, .value = 0};
    const tick_t    tick = {.mono_ns = 1};
    house_exec(h, &(msg_t){.type = MSG_BOOT, .body = &boot});
    house_exec(h, &(msg_t){.type = MSG_CONTROL, .body = &kill});
    house_exec(h, &(msg_t){.type = MSG_TICK, .body = &tick});
    house_md(h, &(msg_t){.type = MSG_TICK, .body = &tick});
    _Alignas(8) uint8_t junk[64] = {255, 255, 255, 255};
    assert_int_equal(lossless_put(&h->exec, &(ring_meta_t){.len = 64, .type = MSG_EXEC_REPORT}, junk), ERR_OK);
    h->e->loop.tick_mono_ns = INT64_MAX; /* no input of its own */
    house_turn(h);
    assert_int_equal(h->e->loop.sequence, sequence);
    assert_int_equal(h->e->loop.sources[0].exec.next, execs + 4);
    assert_int_equal(engine_epoch(h->e->loop.engine), h->epoch);
    house_close(h);
}

/* ---- levels --------------------------------------------------------------------------------------------------------- */
static uint64_t fill_of(const house_t *h)
{
    return h->e->loop.jrn.next - h->jrn.next;
}

static void test_engine_denies_suspends_and_halts_as_jrn_fills(void **state)
{
    (void)state;
    house_t       *h     = trading(6);
    engine_loop_t *l     = &h->e->loop;
    const uint32_t slots = l->jrn_slots;
    house_journal(h);
    house_turn(h);
    assert_false(l->journal_down);
    while (fill_of(h) < slots / 2) { /* the journal takes nothing */
        assert_false(l->md_suspended);
        house_market(h, 1);
        house_turn(h);
        house_venue(h);
    }
    house_turn(h);
    assert_true(l->journal_down);
    house_venue(h);
    const uint64_t orders = counted(h, COUNTER_ORDERS) + counted(h, COUNTER_REPLACES);
    /* every further input needs room for the most that it can cause, which is what 75 % leaves at this size */
    while (!l->md_suspended && !l->blocked) {
        house_market(h, 1);
        house_turn(h);
        house_venue(h);
    }
    assert_int_equal(counted(h, COUNTER_ORDERS) + counted(h, COUNTER_REPLACES), orders);
    for (int i = 0; i < 100000 && !l->blocked; i++) { /* exec goes on, to the last batch */
        const mass_status_t m = {.account_id = 1, .venue_id = 1, .kind = MASS_STATUS_BALANCE};
        house_exec(h, &(msg_t){.type = MSG_MASS_STATUS, .body = &m});
        house_turn(h);
    }
    assert_true(l->blocked);
    assert_int_equal(atomic_load(&h->ctx->control->state), ROLE_HALT);
    assert_true(slots - fill_of(h) < ENGINE_BATCH_MAX);
    const uint64_t sequence = l->sequence;
    house_turn(h);
    assert_int_equal(l->sequence, sequence);
    for (int i = 0; i < 5; i++) { /* the journal goes on */
        house_journal(h);
        house_turn(h);
    }
    assert_false(l->blocked);
    assert_false(l->md_suspended);
    assert_false(l->journal_down);
    assert_int_not_equal(atomic_load(&h->ctx->control->state), ROLE_HALT);
    for (int i = 0; i < 100 && health(h, 1) != FEED_LIVE; i++) {
        house_pump(h, 50);
        usleep(20000);
    }
    assert_int_equal(health(h, 1), FEED_LIVE);
    house_journal(h);
    static verify_result_t v;
    assert_int_equal(verify_dir(h->dir, &v), ERR_OK);
    assert_true(v.equal);
    house_close(h);
}

static void test_engine_denies_while_the_journal_role_is_dead_or_failed(void **state)
{
    (void)state;
    house_t        *h    = trading(7);
    control_page_t *page = segment_find(&h->journal, "control", SEGMENT_CONTROL, &(size_t){0});
    control_state(page, ROLE_FAIL);
    house_turn(h);
    assert_true(h->e->loop.journal_down);
    control_state(page, ROLE_RUN);
    house_turn(h);
    assert_false(h->e->loop.journal_down);
    control_beat(page, role_mono_ns() - ENGINE_JOURNAL_SILENT_NS - 1);
    engine_turn(&h->e->loop, role_mono_ns());
    assert_true(h->e->loop.journal_down);
    house_close(h);
}

/* A new life of the journal role, long after the ring's first lap: its cursor says nothing until it has joined. */
static void test_engine_believes_the_last_journal_until_the_next_says_more(void **state)
{
    (void)state;
    static ring_cursor_t fresh;
    house_t             *h = trading(16);
    engine_loop_t       *l = &h->e->loop;
    while (l->jrn.next < 3 * (uint64_t)l->jrn_slots) {
        house_pump(h, 200);
    }
    house_journal(h);
    house_turn(h);
    assert_false(l->journal_down);
    lossless_writer_cursor(&l->jrn, &fresh);
    house_turn(h);
    assert_false(l->journal_down);
    assert_false(l->md_suspended);
    assert_int_equal(health(h, 1), FEED_LIVE);
    house_close(h);
}

/* Adapter and journal role died together: the engine hears of the new journal role only when it is on the adapter's next
 * life, so that must not wait for the journal. */
static void test_engine_goes_to_the_next_adapter_while_market_data_is_suspended(void **state)
{
    (void)state;
    house_t       *h = trading(17);
    engine_loop_t *l = &h->e->loop;
    house_journal(h);
    while (fill_of(h) < l->jrn_slots / 2 + 8) {
        house_market(h, 1);
        house_turn(h);
        house_venue(h);
    }
    l->md_suspended = true; /* at this size of jrn there is no room for an input any more at 75 % */
    house_market(h, 1);
    house_sim_restart(h);
    for (int i = 0; i < 10; i++) {
        house_turn(h);
    }
    assert_true(l->md_suspended);
    assert_false(engine_source_waits(l));
    house_close(h);
}

/* No room for all of the books: none is forgotten. */
static void test_engine_tells_every_book_of_a_loss(void **state)
{
    (void)state;
    house_t       *h = trading(18);
    engine_loop_t *l = &h->e->loop;
    while (l->jrn.next < 2 * (uint64_t)l->jrn_slots) {
        house_pump(h, 200);
    }
    house_journal(h);
    const trade_t  trade = {.instrument_id = 1, .px = 1, .qty = 1};
    const uint64_t from  = l->sources[0].md.next;
    for (int i = 0; i < 3 * 4096; i++) {
        house_md(h, &(msg_t){.type = MSG_TRADE, .body = &trade});
    }
    l->tick_mono_ns               = INT64_MAX;
    const ring_cursor_t *cursor   = l->jrn.cursor;
    const uint64_t       sequence = l->sequence;
    l->jrn.cursor                 = NULL; /* the journal stands, with room for the most of one input and a little */
    l->jrn.taken                  = l->jrn.next - 1 - (l->jrn_slots - ENGINE_BATCH_MAX - 2);
    house_turn(h);
    assert_true(counted(h, COUNTER_MD_LOST) > 0);
    assert_true(l->sequence > sequence);
    l->jrn.cursor = cursor;
    for (int i = 0; i < 4; i++) {
        house_journal(h);
        house_turn(h);
    }
    house_journal(h);
    journal_reader_t *reader;
    journal_entry_t   entry;
    uint64_t          told = 0;
    assert_int_equal(journal_open_dir(h->dir, &h->id, &reader), ERR_OK);
    while (journal_next(reader, &entry) == ERR_OK) {
        const feed_state_t *feed = entry.record.msg.body;
        if (entry.record.sequence > sequence && entry.record.msg.type == MSG_FEED_STATE && feed->seq_from == from) {
            told |= 1ull << feed->instrument_id;
        }
    }
    journal_close(reader);
    assert_int_equal(__builtin_popcountll(told), engine_instrument_count(l->engine));
    house_close(h);
}

static void test_engine_denies_when_ord_has_no_room(void **state)
{
    (void)state;
    house_t       *h = trading(8);
    engine_loop_t *l = &h->e->loop;
    const uint32_t n = l->ord_slots - l->ord_slots / 4 - ENGINE_TO_VENUE_MAX + 1; /* room for one less than the bar */
    house_venue(h);
    for (uint32_t i = 0; i < n; i++) { /* as if the adapter took nothing */
        memset(lossless_slot(&l->ord, 0), 0, 8);
        lossless_meta(&l->ord, 0, &(ring_meta_t){.len = 8, .type = MSG_NONE});
        lossless_commit(&l->ord, 1);
    }
    house_turn(h);
    house_turn(h);
    assert_true(l->ring_full);
    const uint64_t next = l->ord.next, denied = counted(h, COUNTER_DENIED);
    for (int i = 0; i < 2000; i++) {
        house_market(h, 1);
        l->mono_offset_ns += NS_PER_MS;
        house_turn(h);
        house_journal(h);
    }
    assert_true(counted(h, COUNTER_DENIED) > denied);
    assert_true(l->ord.next < next + 200); /* cancels and questions alone */
    lossless_take_n(&h->ord, n);
    house_turn(h);
    assert_false(l->ring_full);
    house_close(h);
}

/* ---- fence, kill, stop ---------------------------------------------------------------------------------------------- */
static void test_engine_sends_nothing_behind_the_fence(void **state)
{
    (void)state;
    house_t *h = trading(9);
    words_fence_raise(h->words, h->epoch + 1);
    const uint64_t sent = h->e->loop.ord.next, sequence = h->e->loop.sequence;
    house_market(h, 500);
    assert_int_equal(house_turn(h), 0);
    assert_true(h->e->loop.fenced);
    assert_int_equal(h->e->loop.ord.next, sent);
    assert_int_equal(h->e->loop.sequence, sequence);
    assert_int_equal(engine_pass(h->e), ENGINE_EXIT_FENCED);
    assert_int_equal(atomic_load(&h->ctx->control->state), ROLE_FAIL);
    house_close(h);
}

static void test_engine_takes_kill_words_up_and_remembers_them(void **state)
{
    (void)state;
    house_t *h = trading(10);
    assert_true(words_kill(h->words, SCOPE_STRATEGY, 1, true));
    assert_true(words_kill(h->words, SCOPE_GLOBAL, 0, true));
    house_turn(h);
    control_t kill;
    assert_true(engine_kill(h->e->loop.engine, 1, &kill));
    assert_false(engine_kill(h->e->loop.engine, 2, &kill));
    assert_int_equal(atomic_load(&h->ctx->control->kill_seen), atomic_load(&h->words->kill_version));
    const uint64_t sequence = h->e->loop.sequence;
    h->e->loop.tick_mono_ns = INT64_MAX;
    house_turn(h);
    assert_int_equal(h->e->loop.sequence, sequence); /* once */
    house_venue(h);
    house_crash(h);
    memset(h->words->kill_set, 0, sizeof h->words->kill_set); /* the words are gone, the journal is not */
    assert_int_equal(house_boot(h, true), ERR_OK);
    assert_true(engine_kill(h->e->loop.engine, 1, &kill));
    assert_int_equal(atomic_load(&h->words->kill_set[SCOPE_STRATEGY][0]), 2);
    assert_int_equal(atomic_load(&h->words->kill_set[SCOPE_GLOBAL][0]), 1);
    house_turn(h);
    assert_true(words_kill(h->words, SCOPE_GLOBAL, 0, false));
    assert_true(words_kill(h->words, SCOPE_STRATEGY, 1, false));
    house_turn(h);
    assert_false(engine_kill(h->e->loop.engine, 0, &kill));
    house_close(h);
}

static void test_engine_stops_with_a_snapshot_from_which_it_goes_on(void **state)
{
    (void)state;
    house_t *h = trading(11);
    char     path[160];
    snprintf(path, sizeof path, "%s/snapshot.new", h->dir);
    const int fd                        = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    h->ctx->files[h->ctx->file_count++] = (role_file_t){.fd = dup(fd), .kind = ROLE_FILE_SNAPSHOT_OUT};
    atomic_store(&h->words->stop, 1);
    int code = -1;
    for (int i = 0; i < 10000 && code < 0; i++) {
        code = engine_pass(h->e);
        house_venue(h);
        house_journal(h);
    }
    assert_int_equal(code, 0);
    assert_int_equal(atomic_load(&h->ctx->control->state), ROLE_HALT);
    assert_int_equal(order_open_count(engine_orders(h->e->loop.engine)), 0);
    const uint64_t  hash = engine_state_hash(h->e->loop.engine), sequence = h->e->loop.sequence;
    snapshot_info_t info;
    assert_int_equal(snapshot_head(fd, &info), ERR_OK);
    assert_int_equal(info.sequence, sequence);
    assert_int_equal(info.state_hash, hash);
    char name[160];
    snprintf(name, sizeof name, "%s/snapshot.%020llu", h->dir, (unsigned long long)sequence);
    assert_int_equal(rename(path, name), 0);
    house_crash(h);
    atomic_store(&h->words->stop, 0);
    static verify_result_t v;
    assert_int_equal(verify_dir(h->dir, &v), ERR_OK);
    assert_true(v.equal);
    assert_int_equal(v.snapshot_count, 1);
    assert_true(v.snapshots[0].checked && v.snapshots[0].equal);
    const int first = h->snapshot_fd; /* the next life has the new one alone */
    h->snapshot_fd  = fd;
    assert_int_equal(house_boot(h, true), ERR_OK);
    assert_int_equal(h->e->recover.from.sequence, sequence);
    assert_int_equal(h->e->recover.counts.inputs, 0);
    control_t kill;
    assert_false(engine_kill(h->e->loop.engine, 0, &kill));
    const uint32_t taken = h->taken_count;
    for (int i = 0; i < 50 && (!house_trades(h) || h->taken_count == taken); i++) {
        house_pump(h, 200);
        usleep(20000);
    }
    assert_true(house_trades(h));
    assert_true(h->taken_count > taken);
    h->snapshot_fd = first;
    close(fd);
    house_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine_journals_what_verify_finds_equal),
        cmocka_unit_test(test_verify_names_the_first_difference_of_an_edited_journal),
        cmocka_unit_test(test_engine_allocates_nothing_in_a_turn),
        cmocka_unit_test(test_engine_breaks_books_when_it_was_lapped_and_they_heal),
        cmocka_unit_test(test_engine_takes_single_orders_and_publishes_the_day),
        cmocka_unit_test(test_engine_publishes_a_book_again),
        cmocka_unit_test(test_engine_drops_what_an_adapter_may_not_say),
        cmocka_unit_test(test_engine_denies_suspends_and_halts_as_jrn_fills),
        cmocka_unit_test(test_engine_denies_while_the_journal_role_is_dead_or_failed),
        cmocka_unit_test(test_engine_believes_the_last_journal_until_the_next_says_more),
        cmocka_unit_test(test_engine_goes_to_the_next_adapter_while_market_data_is_suspended),
        cmocka_unit_test(test_engine_tells_every_book_of_a_loss),
        cmocka_unit_test(test_engine_denies_when_ord_has_no_room),
        cmocka_unit_test(test_engine_sends_nothing_behind_the_fence),
        cmocka_unit_test(test_engine_takes_kill_words_up_and_remembers_them),
        cmocka_unit_test(test_engine_stops_with_a_snapshot_from_which_it_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
