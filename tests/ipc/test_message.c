/* message_read and message_write beyond what test_fbs.c shows for every type. Invariants checked:
 *   - counts that disagree, too many levels or bands, a bad symbol, unknown types are refused, both ways; *out stays
 *   - the largest message fits MESSAGE_BYTES_MAX; message_bytes is what message_write makes */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/ref/instrument.h"
#include "hwal_fbs.h"
#include "ipc/message.h"

static _Alignas(8) uint8_t buf[8192];

static void test_message_book_counts_must_agree(void **state)
{
    (void)state;
    level_t       levels[BOOK_UPDATE_MAX_LEVELS + 1] = {{.px = 1}};
    book_update_t body                               = {.bid_count = 40, .ask_count = 24};
    msg_t         msg = {.type = MSG_BOOK_UPDATE, .body = &body, .tail = levels, .tail_count = 64};
    msg_t         got = {.type = MSG_ALARM};
    size_t        len;
    assert_int_equal(message_write(&msg, buf, MESSAGE_BYTES_MAX, &len), ERR_OK);
    assert_int_equal(len, 1104);
    assert_int_equal(message_read(MSG_BOOK_UPDATE, buf, len, &got), ERR_OK);
    assert_ptr_equal(got.body, buf + 16);
    assert_ptr_equal(got.tail, buf + 80);
    body.ask_count = 25;
    assert_int_equal(message_write(&msg, buf, sizeof buf, &len), ERR_PARSE);
    msg.tail_count = 65;
    assert_int_equal(message_write(&msg, buf, sizeof buf, &len), ERR_LIMIT);

    hwal_book_update_msg_slot_t slot; /* a writer without our limits */
    assert_true(hwal_book_update_msg_reserve(buf, sizeof buf, &slot));
    *slot.body = body;
    memcpy(slot.levels, levels, sizeof levels);
    len = hwal_book_update_msg_commit(&slot, 65);
    got = (msg_t){.type = MSG_ALARM};
    assert_int_equal(message_read(MSG_BOOK_UPDATE, buf, len, &got), ERR_LIMIT);
    slot.body->bid_count = UINT16_MAX;
    assert_int_equal(message_read(MSG_BOOK_UPDATE, buf, len, &got), ERR_PARSE);
    assert_int_equal(got.type, MSG_ALARM);
}

static void test_message_mbo_counts_must_agree(void **state)
{
    (void)state;
    mbo_entry_t  entries[MBO_UPDATE_MAX_ENTRIES + 1] = {{.order_id = 1}};
    mbo_update_t body                                = {.entry_count = MBO_UPDATE_MAX_ENTRIES};
    msg_t        msg = {.type = MSG_MBO_UPDATE, .body = &body, .tail = entries, .tail_count = MBO_UPDATE_MAX_ENTRIES};
    msg_t        got = {.type = MSG_ALARM};
    size_t       len;
    assert_int_equal(message_write(&msg, buf, 1103, &len), ERR_FULL);
    assert_int_equal(message_write(&msg, buf, MESSAGE_BYTES_MAX, &len), ERR_OK);
    assert_int_equal(len, 1104);
    assert_int_equal(message_bytes(MSG_MBO_UPDATE, MBO_UPDATE_MAX_ENTRIES), len);
    assert_int_equal(message_read(MSG_MBO_UPDATE, buf, len, &got), ERR_OK);
    assert_ptr_equal(got.body, buf + 16);
    assert_ptr_equal(got.tail, buf + 80);
    assert_int_equal(got.tail_count, MBO_UPDATE_MAX_ENTRIES);
    body.entry_count--;
    assert_int_equal(message_write(&msg, buf, sizeof buf, &len), ERR_PARSE);
    body.entry_count = (uint16_t)(msg.tail_count = MBO_UPDATE_MAX_ENTRIES + 1);
    assert_int_equal(message_write(&msg, buf, sizeof buf, &len), ERR_LIMIT);

    hwal_mbo_update_msg_slot_t slot; /* a writer without our limits */
    assert_true(hwal_mbo_update_msg_reserve(buf, sizeof buf, &slot));
    *slot.body = body;
    memcpy(slot.entries, entries, sizeof entries);
    len = hwal_mbo_update_msg_commit(&slot, MBO_UPDATE_MAX_ENTRIES + 1);
    got = (msg_t){.type = MSG_ALARM};
    assert_int_equal(message_read(MSG_MBO_UPDATE, buf, len, &got), ERR_LIMIT);
    slot.body->entry_count = UINT16_MAX;
    assert_int_equal(message_read(MSG_MBO_UPDATE, buf, len, &got), ERR_PARSE);
    assert_int_equal(message_view(MSG_MBO_UPDATE, fbs_root(buf), &got), ERR_PARSE);
    assert_int_equal(got.type, MSG_ALARM);
}

static size_t def_of(const char *symbol, size_t symbol_len, uint32_t bands)
{
    static const tick_band_t band[INSTRUMENT_MAX_BANDS + 1];
    const instrument_def_t   def = {.venue_id = 1};
    fbs_builder_t            b;
    size_t                   len;
    const uint32_t           table = hwal_instrument_def_msg_begin(&b, buf, sizeof buf);
    hwal_instrument_def_msg_put_body(&b, table, &def);
    hwal_instrument_def_msg_put_symbol(&b, table, symbol, symbol_len);
    hwal_instrument_def_msg_put_bands(&b, table, band, bands);
    assert_int_equal(fbs_end(&b, &len), ERR_OK);
    return len;
}

static void test_message_instrument_def_limits(void **state)
{
    (void)state;
    static const char longest[] = "abcdefghijklmnopqrstuvw"; /* 23 */
    msg_t             got;
    assert_int_equal(message_read(MSG_INSTRUMENT_DEF, buf, def_of(longest, 23, 16), &got), ERR_OK);
    assert_string_equal(got.text, longest);
    assert_int_equal(got.tail_count, 16);
    assert_int_equal(message_read(MSG_INSTRUMENT_DEF, buf, def_of("abcdefghijklmnopqrstuvwx", 24, 1), &got), ERR_LIMIT);
    assert_int_equal(message_read(MSG_INSTRUMENT_DEF, buf, def_of("", 0, 1), &got), ERR_LIMIT);
    assert_int_equal(message_read(MSG_INSTRUMENT_DEF, buf, def_of("a\0b", 3, 1), &got), ERR_LIMIT);
    assert_int_equal(message_read(MSG_INSTRUMENT_DEF, buf, def_of("a", 1, 17), &got), ERR_LIMIT);

    const instrument_def_t def = {.venue_id = 1};
    msg_t                  msg = {.type = MSG_INSTRUMENT_DEF, .body = &def};
    size_t                 len;
    assert_int_equal(message_write(&msg, buf, sizeof buf, &len), ERR_LIMIT); /* no symbol */
    msg.text = "abcdefghijklmnopqrstuvwx";
    assert_int_equal(message_write(&msg, buf, sizeof buf, &len), ERR_LIMIT);
    msg.text       = "a";
    msg.tail_count = 17;
    assert_int_equal(message_write(&msg, buf, sizeof buf, &len), ERR_LIMIT);
}

static void test_message_bytes_are_what_is_written(void **state)
{
    (void)state;
    static const uint64_t body[64];
    static const level_t  levels[BOOK_UPDATE_MAX_LEVELS];
    size_t                len;
    for (int type = 1; type < MSG_TYPE_COUNT; type++) {
        const bool text = message_bytes((msg_type_t)type, 0) == 0;
        msg_t      msg  = {.type = (msg_type_t)type, .body = body, .text = text ? "A" : NULL};
        assert_int_equal(message_write(&msg, buf, sizeof buf, &len), ERR_OK);
        assert_int_equal(message_bytes(msg.type, 0), text ? 0 : len);
    }
    const book_update_t update = {.bid_count = 16};
    const msg_t         book   = {.type = MSG_BOOK_UPDATE, .body = &update, .tail = levels, .tail_count = 16};
    assert_int_equal(message_write(&book, buf, sizeof buf, &len), ERR_OK);
    assert_int_equal(len, 336);
    assert_int_equal(message_bytes(MSG_BOOK_UPDATE, 16), len);
    assert_int_equal(message_bytes(MSG_NONE, 0) + message_bytes(MSG_TYPE_COUNT, 0), 0);
}

static void test_message_type_must_be_known(void **state)
{
    (void)state;
    static const int types[] = {-1, 0, MSG_TYPE_COUNT, 255, 256, 256 + MSG_TRADE};
    const trade_t    trade   = {.px = 1};
    size_t           len;
    msg_t            got;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const msg_t msg = {.type = (msg_type_t)types[i], .body = &trade};
        assert_int_equal(message_write(&msg, buf, sizeof buf, &len), ERR_ARG);
        assert_int_equal(message_read((msg_type_t)types[i], buf, 64, &got), ERR_ARG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_book_counts_must_agree), cmocka_unit_test(test_message_mbo_counts_must_agree),
        cmocka_unit_test(test_message_instrument_def_limits),  cmocka_unit_test(test_message_bytes_are_what_is_written),
        cmocka_unit_test(test_message_type_must_be_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
