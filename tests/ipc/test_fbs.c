/* Invariants checked, over hwal.fbs and over evolved.fbs (a newer release, and every kind of field):
 *   - a message written by the template, by the generic builder and from its own JSON is the same bytes
 *   - the fast path and the vtable path read the same, also from a buffer that another writer laid out
 *   - old readers read new buffers, new readers old ones; absent fields read as their defaults, deprecated ones are not
 *     looked at, unknown values of enums are numbers
 *   - the verifier refuses every truncation; whatever it accepts can be read without leaving the buffer (ASan)
 *   - limits: depth, tables, length, alignment; unions; required fields; ends of strings
 *   - JSON in refuses what it must, with the right code; the builder never writes past its room */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "evolved_fbs.c"
#include "hwal_fbs.h"
#include "ipc/fbs_json.h"
#include "ipc/message.h"

#define ROUNDS 200

static uint64_t seed;

static uint64_t rnd(void) /* splitmix64 */
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void rnd_bytes(void *to, size_t len)
{
    static const uint64_t extremes[] = {0, UINT64_MAX, (uint64_t)INT64_MIN, INT64_MAX, 1};
    uint8_t              *out        = to;
    for (size_t i = 0; i < len; i += 8) {
        const uint64_t word = rnd() % 4 == 0 ? extremes[rnd() % 5] : rnd();
        memcpy(out + i, &word, len - i < 8 ? len - i : 8);
    }
}

/* A random message with its storage. */
typedef struct sample {
    msg_t    msg;
    uint64_t body[64];
    level_t  tail[BOOK_UPDATE_MAX_LEVELS]; /* or half as many mbo_entry_t */
    char     text[SYMBOL_MAX + 1];
} sample_t;

static void sample_make(sample_t *s, msg_type_t type)
{
    *s = (sample_t){.msg = {.type = type}};
    rnd_bytes(s->body, sizeof s->body);
    rnd_bytes(s->tail, sizeof s->tail);
    s->msg.body = s->body;
    if (type == MSG_BOOK_UPDATE) {
        book_update_t body;
        memcpy(&body, s->body, sizeof body);
        s->msg.tail       = s->tail;
        s->msg.tail_count = (uint32_t)(rnd() % (BOOK_UPDATE_MAX_LEVELS + 1));
        body.bid_count    = (uint16_t)(rnd() % (s->msg.tail_count + 1));
        body.ask_count    = (uint16_t)(s->msg.tail_count - body.bid_count);
        memcpy(s->body, &body, sizeof body);
    }
    if (type == MSG_MBO_UPDATE) {
        mbo_update_t body;
        memcpy(&body, s->body, sizeof body);
        s->msg.tail       = s->tail;
        s->msg.tail_count = (uint32_t)(rnd() % (MBO_UPDATE_MAX_ENTRIES + 1));
        body.entry_count  = (uint16_t)s->msg.tail_count;
        memcpy(s->body, &body, sizeof body);
    }
    if (message_bytes(type, 0) == 0) {
        const size_t n = 1 + rnd() % SYMBOL_MAX;
        for (size_t i = 0; i < n; i++) {
            s->text[i] = (char)(' ' + rnd() % 95);
        }
        s->msg.text = s->text;
    }
    if (type == MSG_INSTRUMENT_DEF) {
        s->msg.tail       = s->tail;
        s->msg.tail_count = (uint32_t)(rnd() % 17);
    }
}

static size_t tail_bytes(const msg_t *msg)
{
    return msg->tail_count * (msg->type == MSG_MBO_UPDATE ? sizeof(mbo_entry_t) : sizeof(level_t));
}

static void assert_same(const msg_t *a, const msg_t *b)
{
    assert_int_equal(a->type, b->type);
    assert_memory_equal(a->body, b->body, msg_body_size(a->type));
    assert_int_equal(a->tail_count, b->tail_count);
    if (a->tail_count != 0) {
        assert_memory_equal(a->tail, b->tail, tail_bytes(a));
    }
    if (a->text != NULL) {
        assert_string_equal(a->text, b->text);
    }
}

static const fbs_object_t *object_of_type(msg_type_t type)
{
    return fbs_union_object(&hwal_message_names, (uint8_t)type);
}

/* The same message by the generic builder. */
static size_t build(const msg_t *msg, void *buf, size_t cap)
{
    fbs_builder_t       b;
    size_t              len;
    const fbs_object_t *object = object_of_type(msg->type);
    const uint32_t      table  = fbs_begin(&b, object, buf, cap);
    fbs_put(&b, table, &object->fields[0], msg->body);
    if (msg->text != NULL) {
        fbs_put_string(&b, table, &object->fields[1], msg->text, strlen(msg->text));
    }
    if (msg->tail != NULL) {
        fbs_put_vector(&b, table, &object->fields[object->field_count - 1], msg->tail, msg->tail_count);
    }
    assert_int_equal(fbs_end(&b, &len), ERR_OK);
    return len;
}

/* The same message as another writer might lay it out: the vtable last, everything with gaps, fields in other places.
 * Written without the library, from the format's description. */
static size_t build_strangely(const msg_t *msg, uint8_t *buf)
{
    const size_t   body   = msg_body_size(msg->type);
    const uint32_t fields = 1u + (msg->text != NULL) + (msg->tail != NULL);
    const uint32_t table  = 24; /* tail word at 28, text word at 32, body at 40 */
    uint32_t       at     = 40 + (uint32_t)body + 8;
    memset(buf, 0xee, 4096);
    memcpy(buf, &table, 4);
    memcpy(buf + 40, msg->body, body);
    if (msg->text != NULL) {
        const uint32_t len = (uint32_t)strlen(msg->text);
        memcpy(buf + 32, &(uint32_t){at - 32}, 4);
        memcpy(buf + at, &len, 4);
        memcpy(buf + at + 4, msg->text, len + 1);
        at += (len + 12) / 8 * 8;
    }
    if (msg->tail != NULL) {
        memcpy(buf + 28, &(uint32_t){at + 12 - 28}, 4);
        memcpy(buf + at + 12, &msg->tail_count, 4);
        memcpy(buf + at + 16, msg->tail, tail_bytes(msg));
        at += 16 + (uint32_t)tail_bytes(msg);
    }
    const uint16_t vtable[] = {(uint16_t)(4 + 2 * fields), (uint16_t)(16 + body), 16,
                               (uint16_t)(msg->text != NULL ? 8 : 4), 4};
    memcpy(buf + at, vtable, 4 + 2 * fields);
    memcpy(buf + table, &(int32_t){(int32_t)table - (int32_t)at}, 4);
    return at + 4 + 2 * fields;
}

static void test_fbs_writers_agree_and_round_trip(void **state)
{
    (void)state;
    static _Alignas(8) uint8_t a[4096], b[4096];
    static char                text[65536];
    for (int round = 0; round < ROUNDS; round++) {
        for (msg_type_t type = MSG_NONE + 1; type < MSG_TYPE_COUNT; type++) {
            sample_t s;
            msg_t    got;
            size_t   len, text_len, again;
            sample_make(&s, type);
            assert_int_equal(message_write(&s.msg, a, sizeof a, &len), ERR_OK);
            assert_int_equal(message_read(type, a, len, &got), ERR_OK);
            assert_same(&s.msg, &got);
            assert_int_equal(build(&s.msg, b, sizeof b), len);
            assert_memory_equal(a, b, len);
            assert_int_equal(fbs_json_out(object_of_type(type), a, text, sizeof text, &text_len), ERR_OK);
            assert_int_equal(fbs_json_in(object_of_type(type), text, text_len, b, sizeof b, &again), ERR_OK);
            assert_int_equal(again, len);
            assert_memory_equal(a, b, len);
        }
    }
}

static void test_fbs_other_layouts_read_the_same(void **state)
{
    (void)state;
    static _Alignas(8) uint8_t buf[4096];
    for (int round = 0; round < ROUNDS; round++) {
        for (msg_type_t type = MSG_NONE + 1; type < MSG_TYPE_COUNT; type++) {
            sample_t s;
            msg_t    got;
            sample_make(&s, type);
            const size_t len = build_strangely(&s.msg, buf);
            assert_int_equal(message_read(type, buf, len, &got), ERR_OK);
            assert_same(&s.msg, &got);
        }
    }
}

/* The view must take the tail word seriously: same head, vector elsewhere. */
static void test_fbs_view_with_a_moved_tail(void **state)
{
    (void)state;
    _Alignas(8) uint8_t         buf[256] = {0};
    hwal_book_update_msg_slot_t slot;
    assert_true(hwal_book_update_msg_reserve(buf, sizeof buf, &slot));
    memset(slot.body, 0, sizeof *slot.body);
    assert_int_equal(hwal_book_update_msg_commit(&slot, 0), 80);
    memcpy(buf + 72, &(uint32_t){20}, 4); /* the count at 92, elements at 96 */
    memcpy(buf + 76, &(uint32_t){0}, 4);  /* what a careless reader would take for the count */
    memcpy(buf + 92, &(uint32_t){1}, 4);
    memcpy(buf + 96, &(level_t){.px = 5, .qty = 6}, 16);
    assert_int_equal(hwal_book_update_msg_verify(buf, 112), ERR_OK);
    const hwal_book_update_msg_view_t view = hwal_book_update_msg_view(buf);
    assert_int_equal(view.levels_count, 1);
    assert_int_equal(view.levels[0].px, 5);
    assert_int_equal(hwal_book_update_msg_verify(buf, 111), ERR_PARSE);
}

static void test_fbs_json_is_what_the_struct_says(void **state)
{
    (void)state;
    _Alignas(8) uint8_t   buf[HWAL_TRADE_MSG_BYTES];
    hwal_trade_msg_slot_t slot;
    char                  text[512];
    size_t                len;
    assert_true(hwal_trade_msg_reserve(buf, sizeof buf, &slot));
    assert_false(hwal_trade_msg_reserve(buf, sizeof buf - 1, &slot));
    *slot.body = (trade_t){.instrument_id  = UINT32_MAX,
                           .aggressor_side = SIDE_SELL,
                           .trade_id       = UINT64_MAX,
                           .px             = INT64_MIN,
                           .qty            = INT64_MAX,
                           .ts_event_ns    = -1,
                           .ts_recv_ns     = 0};
    assert_int_equal(hwal_trade_msg_verify(buf, sizeof buf), ERR_OK);
    assert_int_equal(fbs_json_out(&hwal_trade_msg_object, buf, text, sizeof text, &len), ERR_OK);
    assert_string_equal(text, "{\"body\":{\"instrument_id\":4294967295,\"aggressor_side\":\"SELL\",\"reserved\":0,"
                              "\"reserved2\":0,\"trade_id\":18446744073709551615,\"px\":-9223372036854775808,"
                              "\"qty\":9223372036854775807,\"ts_event_ns\":-1,\"ts_recv_ns\":0}}");
    assert_int_equal(fbs_json_out(&hwal_trade_msg_object, buf, text, len, &len), ERR_FULL);
    char *exact = malloc(len);
    assert_int_equal(fbs_json_out(&hwal_trade_msg_object, buf, exact, len, &len), ERR_OK);
    assert_string_equal(exact, strcpy(text, exact));
    free(exact);
}

static size_t record_of(const msg_t *msg, uint8_t *buf, size_t cap)
{
    _Alignas(8) uint8_t inner[MESSAGE_BYTES_MAX];
    fbs_builder_t       b;
    size_t              len;
    assert_int_equal(message_write(msg, inner, sizeof inner, &len), ERR_OK);
    const uint32_t table = hwal_record_begin(&b, buf, cap);
    hwal_record_put_sequence(&b, table, UINT64_MAX);
    hwal_record_put_mono_ns(&b, table, INT64_MIN);
    hwal_record_put_utc_ns(&b, table, INT64_MAX);
    hwal_record_put_msg(&b, table, (uint8_t)msg->type, inner, len);
    assert_int_equal(fbs_end(&b, &len), ERR_OK);
    return len;
}

static void test_fbs_record_of_every_message(void **state)
{
    (void)state;
    static _Alignas(8) uint8_t a[4096], b[4096];
    static char                one[65536], two[65536];
    for (msg_type_t type = MSG_NONE + 1; type < MSG_TYPE_COUNT; type++) {
        sample_t s;
        size_t   len, n;
        sample_make(&s, type);
        len = record_of(&s.msg, a, sizeof a);
        assert_int_equal(hwal_record_verify(a, len), ERR_OK);
        assert_memory_equal(a + 4, "HWAL", 4);
        const hwal_record_t *record = hwal_record_root(a);
        assert_true(hwal_record_sequence(record) == UINT64_MAX);
        assert_true(hwal_record_mono_ns(record) == INT64_MIN && hwal_record_utc_ns(record) == INT64_MAX);
        assert_int_equal(hwal_record_msg_type(record), type);
        assert_memory_equal(fbs_slot(hwal_record_msg(record), 4), s.msg.body, msg_body_size(type));
        assert_int_equal(fbs_json_out(&hwal_record_object, a, one, sizeof one, &n), ERR_OK);
        assert_int_equal(fbs_json_in(&hwal_record_object, one, n, b, sizeof b, &len), ERR_OK);
        assert_int_equal(hwal_record_verify(b, len), ERR_OK);
        assert_int_equal(fbs_json_out(&hwal_record_object, b, two, sizeof two, &n), ERR_OK);
        assert_string_equal(one, two);
    }
}

/* ---- evolution --------------------------------------------------------------------------------------------------- */
static void test_fbs_old_reader_new_buffer(void **state)
{
    (void)state;
    _Alignas(8) uint8_t            buf[1024];
    evolved_book_update_msg_slot_t slot;
    msg_t                          got;
    assert_true(evolved_book_update_msg_reserve(buf, sizeof buf, &slot));
    rnd_bytes(slot.body, sizeof *slot.body);
    slot.body->bid_count = 1;
    slot.body->ask_count = 1;
    *slot.ext            = (trade_ext_t){.fee = 9};
    *slot.third          = (level_t){.px = 1};
    rnd_bytes(slot.levels, 32);
    const size_t len = evolved_book_update_msg_commit(&slot, 2);
    assert_int_equal(evolved_book_update_msg_verify(buf, len), ERR_OK);
    assert_int_equal(message_read(MSG_BOOK_UPDATE, buf, len, &got), ERR_OK);
    assert_memory_equal(got.body, slot.body, sizeof *slot.body);
    assert_memory_equal(got.tail, slot.levels, 32);
    const hwal_book_update_msg_view_t old = hwal_book_update_msg_view(buf);
    assert_ptr_equal(old.body, slot.body);
    assert_ptr_equal(old.levels, slot.levels);
    const evolved_book_update_msg_view_t new = evolved_book_update_msg_view(buf);
    assert_ptr_equal(new.ext, slot.ext);
    assert_ptr_equal(new.third, slot.third);
    assert_int_equal(new.levels_count, 2);

    evolved_trade_msg_slot_t trade;
    assert_true(evolved_trade_msg_reserve(buf, sizeof buf, &trade));
    rnd_bytes(trade.body, sizeof *trade.body);
    *trade.ext = (trade_ext_t){.fee = 9};
    assert_int_equal(message_read(MSG_TRADE, buf, EVOLVED_TRADE_MSG_BYTES, &got), ERR_OK);
    assert_memory_equal(got.body, trade.body, sizeof *trade.body);
}

static void test_fbs_new_reader_old_buffer(void **state)
{
    (void)state;
    static _Alignas(8) uint8_t buf[4096];
    sample_t                   s;
    size_t                     len;
    sample_make(&s, MSG_BOOK_UPDATE);
    assert_int_equal(message_write(&s.msg, buf, sizeof buf, &len), ERR_OK);
    assert_int_equal(evolved_book_update_msg_verify(buf, len), ERR_OK);
    const evolved_book_update_msg_view_t view = evolved_book_update_msg_view(buf);
    assert_memory_equal(view.body, s.body, sizeof *view.body);
    assert_int_equal(view.levels_count, s.msg.tail_count);
    assert_null(view.ext);
    assert_null(view.third);

    sample_make(&s, MSG_INSTRUMENT_DEF);
    assert_int_equal(message_write(&s.msg, buf, sizeof buf, &len), ERR_OK);
    assert_int_equal(evolved_instrument_def_msg_verify(buf, len), ERR_OK);
    const evolved_instrument_def_msg_t *def = evolved_instrument_def_msg_root(buf);
    uint32_t                            n;
    assert_null(evolved_instrument_def_msg_isin(def, &n));
    assert_int_equal(evolved_instrument_def_msg_listed_ns(def), -7);
    assert_string_equal(evolved_instrument_def_msg_symbol(def, &n), s.text);

    sample_make(&s, MSG_TRADE);
    len = record_of(&s.msg, buf, sizeof buf);
    assert_int_equal(evolved_record_verify(buf, len), ERR_OK);
    assert_null(evolved_record_note(evolved_record_root(buf), &n));
}

static void test_fbs_unknown_union_type_is_a_newer_writers(void **state)
{
    (void)state;
    _Alignas(8) uint8_t inner[256], buf[512];
    char                text[256];
    fbs_builder_t       b;
    size_t              len;
    uint32_t            table = evolved_news_msg_begin(&b, inner, sizeof inner);
    evolved_news_msg_put_text(&b, table, "flood", 5);
    assert_int_equal(fbs_end(&b, &len), ERR_OK);
    table = evolved_record_begin(&b, buf, sizeof buf);
    evolved_record_put_note(&b, table, "x", 1);
    evolved_record_put_msg(&b, table, EVOLVED_NEWS, inner, len);
    assert_int_equal(fbs_end(&b, &len), ERR_OK);
    assert_int_equal(evolved_record_verify(buf, len), ERR_OK);
    assert_int_equal(hwal_record_verify(buf, len), ERR_OK);
    assert_int_equal(hwal_record_msg_type(hwal_record_root(buf)), EVOLVED_NEWS);
    assert_int_equal(fbs_json_out(&hwal_record_object, buf, text, sizeof text, &len), ERR_UNSUPPORTED);
}

/* Kinds.old is deprecated: a writer from before that still writes it, between the others. */
static void test_fbs_deprecated_field_is_not_looked_at(void **state)
{
    (void)state;
    const uint32_t      place  = evolved_kinds_object.bytes;
    const fbs_field_t   old    = {.name = "old", .at = 4 + 2 * 10, .place = (uint16_t)place, .base = FBS_UINT};
    fbs_object_t        before = evolved_kinds_object;
    _Alignas(8) uint8_t buf[512];
    char                text[4096];
    fbs_builder_t       b;
    size_t              len;
    before.bytes += 8;
    const uint32_t table = fbs_begin(&b, &before, buf, sizeof buf), value = 77;
    fbs_put(&b, table, &old, &value);
    evolved_kinds_put_i32(&b, table, 5);
    assert_int_equal(fbs_end(&b, &len), ERR_OK);
    assert_int_equal(fbs_u32(fbs_slot(fbs_root(buf), old.at)), 77); /* it is there */
    assert_int_equal(evolved_kinds_verify(buf, len), ERR_OK);
    assert_int_equal(evolved_kinds_i32(evolved_kinds_root(buf)), 5);
    assert_int_equal(fbs_json_out(&evolved_kinds_object, buf, text, sizeof text, &len), ERR_OK);
    assert_null(strstr(text, "\"old\""));
}

static void test_fbs_unknown_enum_value_is_a_number(void **state)
{
    (void)state;
    _Alignas(8) uint8_t buf[128];
    char                text[1024];
    size_t              len;
    const trade_t       trade = {.aggressor_side = 3};
    const msg_t         msg   = {.type = MSG_TRADE, .body = &trade};
    msg_t               got;
    assert_int_equal(message_write(&msg, buf, sizeof buf, &len), ERR_OK);
    assert_int_equal(message_read(MSG_TRADE, buf, len, &got), ERR_OK);
    assert_int_equal(((const trade_t *)got.body)->aggressor_side, 3);
    assert_int_equal(fbs_json_out(object_of_type(MSG_TRADE), buf, text, sizeof text, &len), ERR_OK);
    assert_non_null(strstr(text, "\"aggressor_side\":3"));
}

/* ---- the verifier ------------------------------------------------------------------------------------------------ */
static bool inside(const void *p, size_t bytes, const uint8_t *buf, size_t len)
{
    return p == NULL || ((const uint8_t *)p >= buf && (const uint8_t *)p + bytes <= buf + len);
}

/* Read all of an accepted buffer; every pointer must lie in it. */
static void read_all(msg_type_t type, const uint8_t *buf, size_t len)
{
    static char text[1 << 20];
    size_t      n;
    msg_t       got;
    if (message_read(type, buf, len, &got) == ERR_OK) {
        assert_true(inside(got.body, msg_body_size(type), buf, len));
        assert_true(inside(got.tail, tail_bytes(&got), buf, len));
        assert_true(inside(got.text, got.text == NULL ? 0 : strlen(got.text) + 1, buf, len));
    }
    const fbs_object_t *object = object_of_type(type);
    if (fbs_verify(object, buf, len) == ERR_OK) {
        fbs_json_out(object, buf, text, sizeof text, &n);
    }
}

static void test_fbs_verifier_refuses_every_truncation(void **state)
{
    (void)state;
    static _Alignas(8) uint8_t whole[4096];
    for (msg_type_t type = MSG_NONE + 1; type < MSG_TYPE_COUNT; type++) {
        for (int strange = 0; strange < 3; strange++) {
            sample_t s;
            msg_t    got;
            size_t   len;
            sample_make(&s, type);
            if (strange == 1) {
                len = build_strangely(&s.msg, whole);
            } else if (strange == 2) {
                len = record_of(&s.msg, whole, sizeof whole);
            } else {
                assert_int_equal(message_write(&s.msg, whole, sizeof whole, &len), ERR_OK);
            }
            for (size_t cut = 0; cut < len; cut++) {
                uint8_t *part = malloc(cut == 0 ? 1 : cut);
                memcpy(part, whole, cut);
                if (strange == 2) {
                    assert_int_not_equal(hwal_record_verify(part, cut), ERR_OK);
                } else {
                    assert_int_not_equal(message_read(type, part, cut, &got), ERR_OK);
                }
                free(part);
            }
        }
    }
}

static void mutate(uint8_t *buf, size_t len)
{
    for (uint64_t i = 1 + rnd() % 4; i-- != 0;) {
        const size_t at = rnd() % 3 != 0 ? rnd() % (len < 32 ? len : 32) : rnd() % len;
        if (rnd() % 2 == 0) {
            buf[at] = (uint8_t)rnd();
        } else {
            const uint32_t word = (uint32_t)(rnd() % (len + 16));
            memcpy(buf + at / 4 * 4, &word, len - at / 4 * 4 < 4 ? len - at / 4 * 4 : 4);
        }
    }
}

static void test_fbs_mutations_never_read_outside(void **state)
{
    (void)state;
    static _Alignas(8) uint8_t whole[4096];
    static char                text[1 << 20];
    const int                  rounds = getenv("HWAL_SOAK") != NULL ? 2000000 : 20000;
    int                        passed = 0;
    for (int round = 0; round < rounds; round++) {
        const msg_type_t type = (msg_type_t)(1 + rnd() % (MSG_TYPE_COUNT - 1));
        const uint64_t   how  = rnd() % 3;
        sample_t         s;
        size_t           len;
        sample_make(&s, type);
        if (how == 0) {
            assert_int_equal(message_write(&s.msg, whole, sizeof whole, &len), ERR_OK);
        } else {
            len = how == 1 ? build_strangely(&s.msg, whole) : record_of(&s.msg, whole, sizeof whole);
        }
        uint8_t *copy = malloc(len);
        memcpy(copy, whole, len);
        mutate(copy, len);
        if (how != 2) {
            read_all(type, copy, len);
        } else if (hwal_record_verify(copy, len) == ERR_OK) {
            size_t n;
            passed++;
            fbs_json_out(&hwal_record_object, copy, text, sizeof text, &n);
        }
        free(copy);
    }
    assert_true(passed > 0); /* or the readers were never tried */
}

static void test_fbs_verifier_limits(void **state)
{
    (void)state;
    static _Alignas(8) uint8_t buf[65536];
    char                       text[1024] = "";
    size_t                     len;
    for (uint32_t depth = 1; depth <= FBS_DEPTH_MAX + 1; depth++) { /* nested by the builder, which does not count */
        fbs_builder_t b;
        uint32_t      table = evolved_kinds_begin(&b, buf, sizeof buf);
        for (uint32_t i = 1; i < depth; i++) {
            table = evolved_kinds_put_child(&b, table);
        }
        assert_int_equal(fbs_end(&b, &len), ERR_OK);
        assert_int_equal(evolved_kinds_verify(buf, len), depth <= FBS_DEPTH_MAX ? ERR_OK : ERR_LIMIT);
    }
    for (uint32_t count = FBS_TABLES_MAX - 2; count <= FBS_TABLES_MAX; count++) {
        fbs_builder_t  b;
        const uint32_t table  = evolved_kinds_begin(&b, buf, sizeof buf);
        const uint32_t vector = evolved_kinds_put_children(&b, table, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(evolved_kinds_put_children_at(&b, vector, i) != 0);
        }
        assert_int_equal(fbs_end(&b, &len), ERR_OK);
        assert_int_equal(evolved_kinds_verify(buf, len), count < FBS_TABLES_MAX ? ERR_OK : ERR_LIMIT);
    }
    for (uint32_t i = 0; i < FBS_DEPTH_MAX + 1; i++) {
        strcat(text, "{\"child\":");
    }
    strcat(text, "{}");
    assert_int_equal(fbs_json_in(&evolved_kinds_object, text, strlen(text), buf, sizeof buf, &len), ERR_LIMIT);
    assert_int_equal(hwal_trade_msg_verify(buf + 4, 64), ERR_ARG);
    assert_int_equal(hwal_trade_msg_verify(buf, (size_t)FBS_BUFFER_MAX + 1), ERR_LIMIT);
}

static void test_fbs_verifier_alignment(void **state)
{
    (void)state;
    _Alignas(8) uint8_t buf[4096];
    sample_t            s;
    sample_make(&s, MSG_BOOK_UPDATE);
    s.msg.tail_count    = 2;
    size_t       len    = build_strangely(&s.msg, buf);
    const size_t vtable = len - 8; /* bytes, table bytes, body at 16, tail word at 4 */
    const size_t vector = 28 + fbs_u32(buf + 28);
    assert_int_equal(hwal_book_update_msg_verify(buf, len), ERR_OK);
    buf[vtable] = 7;
    assert_int_equal(hwal_book_update_msg_verify(buf, len), ERR_PARSE);
    buf[vtable]     = 8;
    buf[vtable + 4] = 12; /* the body at 36, and still inside its table */
    assert_int_equal(hwal_book_update_msg_verify(buf, len), ERR_PARSE);
    buf[vtable + 4] = 16;
    memcpy(buf + vector - 4, &(uint32_t){1}, 4);
    memcpy(buf + 28, &(uint32_t){(uint32_t)vector - 32}, 4); /* elements at 8k + 4 */
    assert_int_equal(hwal_book_update_msg_verify(buf, len), ERR_PARSE);
    memcpy(buf + vector - 4, &(uint32_t){0}, 4); /* none: nothing to be aligned */
    assert_int_equal(hwal_book_update_msg_verify(buf, len), ERR_OK);
}

static void test_fbs_verifier_unions_strings_required(void **state)
{
    (void)state;
    _Alignas(8) uint8_t buf[1024], bad[1024];
    sample_t            s;
    size_t              len;
    sample_make(&s, MSG_TRADE);
    len                 = record_of(&s.msg, buf, sizeof buf);
    const size_t root   = fbs_u32(buf);
    const size_t vtable = root - fbs_u32(buf + root);
    memcpy(bad, buf, len);
    memset(bad + vtable + 10, 0, 2); /* no type */
    assert_int_equal(hwal_record_verify(bad, len), ERR_PARSE);
    memcpy(bad, buf, len);
    memset(bad + vtable + 12, 0, 2); /* no value, which is required */
    assert_int_equal(hwal_record_verify(bad, len), ERR_PARSE);
    memcpy(bad, buf, len);
    bad[root + fbs_u16(buf + vtable + 10)] = MSG_INSTRUMENT_DEF; /* a trade is none */
    assert_int_equal(hwal_record_verify(bad, len), ERR_PARSE);

    sample_make(&s, MSG_INSTRUMENT_DEF);
    assert_int_equal(message_write(&s.msg, buf, sizeof buf, &len), ERR_OK);
    uint32_t    text_len;
    const char *symbol = hwal_instrument_def_msg_symbol(hwal_instrument_def_msg_root(buf), &text_len);
    buf[symbol + text_len - (const char *)buf] = 'x';
    assert_int_equal(hwal_instrument_def_msg_verify(buf, len), ERR_PARSE);
}

/* ---- building ---------------------------------------------------------------------------------------------------- */
static void test_fbs_builder_stays_in_its_room(void **state)
{
    (void)state;
    static _Alignas(8) uint8_t whole[4096];
    for (msg_type_t type = MSG_NONE + 1; type < MSG_TYPE_COUNT; type++) {
        sample_t s;
        size_t   len, n;
        char     text[16384];
        size_t   text_len;
        sample_make(&s, type);
        assert_int_equal(message_write(&s.msg, whole, sizeof whole, &len), ERR_OK);
        assert_int_equal(fbs_json_out(object_of_type(type), whole, text, sizeof text, &text_len), ERR_OK);
        for (size_t cap = 0; cap <= len; cap++) {
            uint8_t *room = malloc(cap == 0 ? 1 : cap);
            assert_int_equal(message_write(&s.msg, room, cap, &n), cap < len ? ERR_FULL : ERR_OK);
            assert_int_equal(fbs_json_in(object_of_type(type), text, text_len, room, cap, &n),
                             cap < len ? ERR_FULL : ERR_OK);
            free(room);
        }
    }
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */
static void test_fbs_json_every_kind(void **state)
{
    (void)state;
    static _Alignas(8) uint8_t buf[8192];
    static char                out[8192];
    static const char          text[] =
        "{\"flag\":false,\"i8\":-128,\"u8\":255,\"i16\":-32768,\"u16\":0,\"i32\":-2147483648,\"u32\":4294967295,"
        "\"i64\":9223372036854775807,\"u64\":0,\"colour\":\"RED BLUE\",\"small\":{\"a\":1,\"b\":-2,\"c\":3,\"d\":-4},"
        "\"text\":\"a\\u0000\\\"\\\\\\u001f\xc3\xa9\xf0\x9f\x8f\xb9\",\"bytes\":[0,255],\"words\":[-1,2,3],"
        "\"longs\":[-9223372036854775808],\"colours\":[\"GREEN\",0,9],\"smalls\":[{\"a\":1,\"b\":2,\"c\":3,\"d\":4},"
        "{\"a\":5,\"b\":6,\"c\":7,\"d\":8}],\"texts\":[\"\",\"x\"],\"child\":{\"flag\":true,\"i8\":-8,\"u8\":0,"
        "\"i16\":0,\"u16\":65535,\"i32\":0,\"u32\":0,\"i64\":-9223372036854775808,\"u64\":18446744073709551615,"
        "\"colour\":0},\"children\":[{\"flag\":true,\"i8\":1,\"u8\":0,\"i16\":0,\"u16\":65535,\"i32\":0,\"u32\":0,"
        "\"i64\":-9223372036854775808,\"u64\":18446744073709551615,\"colour\":0}],\"leaf_type\":\"KINDS\",\"leaf\":{"
        "\"flag\":true,\"i8\":2,\"u8\":0,\"i16\":0,\"u16\":65535,\"i32\":0,\"u32\":0,\"i64\":-9223372036854775808,"
        "\"u64\":18446744073709551615,\"colour\":0}}";
    size_t len, n;
    assert_int_equal(fbs_json_in(&evolved_kinds_object, text, sizeof text - 1, buf, sizeof buf, &len), ERR_OK);
    assert_int_equal(evolved_kinds_verify(buf, len), ERR_OK);
    assert_int_equal(fbs_json_out(&evolved_kinds_object, buf, out, sizeof out, &n), ERR_OK);
    assert_string_equal(out, text);

    uint32_t               count;
    const evolved_kinds_t *kinds = evolved_kinds_root(buf);
    assert_false(evolved_kinds_flag(kinds));
    assert_int_equal(evolved_kinds_i16(kinds), -32768);
    assert_int_equal(evolved_kinds_words(kinds, &count)[2], 3);
    assert_int_equal(count, 3);
    assert_int_equal(evolved_kinds_smalls(kinds, &count)[1].d, 8);
    assert_int_equal(evolved_kinds_texts_count(kinds), 2);
    assert_string_equal(evolved_kinds_texts_at(kinds, 1, &count), "x");
    assert_int_equal(evolved_kinds_i8(evolved_kinds_children_at(kinds, 0)), 1);
    assert_true(evolved_kinds_u64(evolved_kinds_child(kinds)) == UINT64_MAX);
    assert_int_equal(evolved_kinds_leaf_type(kinds), LEAF_KINDS);

    static const char late[] = " { \"leaf\" : {\"i8\" : 5 } , \"u8\":1,\t\"leaf_type\" : 2 }\n";
    assert_int_equal(fbs_json_in(&evolved_kinds_object, late, sizeof late - 1, buf, sizeof buf, &len), ERR_OK);
    assert_int_equal(evolved_kinds_verify(buf, len), ERR_OK);
    assert_int_equal(evolved_kinds_i8(evolved_kinds_leaf(evolved_kinds_root(buf))), 5);
    for (size_t cut = 0; cut < sizeof text - 1; cut++) {
        assert_int_not_equal(fbs_json_in(&evolved_kinds_object, text, cut, buf, sizeof buf, &len), ERR_OK);
    }
}

static void test_fbs_json_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        err_t       err;
    } cases[] = {
        {"", ERR_PARSE},
        {"[]", ERR_PARSE},
        {"{} {}", ERR_PARSE},
        {"{\"i8\":1,}", ERR_PARSE},
        {"{,}", ERR_PARSE},
        {"{\"i8\" 1}", ERR_PARSE},
        {"{\"i8\":}", ERR_PARSE},
        {"{\"i8\":128}", ERR_RANGE},
        {"{\"i8\":-129}", ERR_RANGE},
        {"{\"u8\":-1}", ERR_RANGE},
        {"{\"u8\":256}", ERR_RANGE},
        {"{\"u64\":18446744073709551616}", ERR_RANGE},
        {"{\"i64\":9223372036854775808}", ERR_RANGE},
        {"{\"i64\":-9223372036854775809}", ERR_RANGE},
        {"{\"i32\":1.0}", ERR_SCALE},
        {"{\"i32\":1e2}", ERR_SCALE},
        {"{\"i32\":01}", ERR_PARSE},
        {"{\"i32\":- 1}", ERR_PARSE},
        {"{\"i32\":+1}", ERR_PARSE},
        {"{\"i32\":\"1\"}", ERR_PARSE},
        {"{\"i32\":null}", ERR_PARSE},
        {"{\"i32\":1,\"i32\":1}", ERR_PARSE},
        {"{\"none\":1}", ERR_PARSE},
        {"{\"old\":1}", ERR_PARSE},
        {"{\"flag\":1}", ERR_PARSE},
        {"{\"flag\":truth}", ERR_PARSE},
        {"{\"colour\":\"PINK\"}", ERR_PARSE},
        {"{\"colour\":\"RED  BLUE\"}", ERR_PARSE},
        {"{\"colour\":\"\"}", ERR_PARSE},
        {"{\"colour\":\"RED\\u0000\"}", ERR_PARSE},
        {"{\"small\":{\"a\":1}}", ERR_PARSE},
        {"{\"small\":{\"a\":1,\"a\":1,\"b\":2,\"c\":3,\"d\":4}}", ERR_PARSE},
        {"{\"text\":\"\\ud800\"}", ERR_PARSE},
        {"{\"text\":\"\\udc00\\udc00\"}", ERR_PARSE},
        {"{\"text\":\"\xff\"}", ERR_PARSE},
        {"{\"text\":\"\xc0\x80\"}", ERR_PARSE},
        {"{\"text\":\"\t\"}", ERR_PARSE},
        {"{\"text\":\"\\x\"}", ERR_PARSE},
        {"{\"bytes\":[1,]}", ERR_PARSE},
        {"{\"bytes\":[1 2]}", ERR_PARSE},
        {"{\"bytes\":[1,\"a\"]}", ERR_PARSE},
        {"{\"leaf\":{}}", ERR_PARSE},
        {"{\"leaf_type\":\"KINDS\"}", ERR_PARSE},
        {"{\"leaf_type\":\"KINDS\",\"leaf\":{},\"leaf_type\":1}", ERR_PARSE},
        {"{\"leaf_type\":9,\"leaf\":{}}", ERR_PARSE},
        {"{\"leaf_type\":\"TRADE\",\"leaf\":{}}", ERR_PARSE},
    };
    _Alignas(8) uint8_t buf[4096];
    size_t              len;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const err_t err =
            fbs_json_in(&evolved_kinds_object, cases[i].text, strlen(cases[i].text), buf, sizeof buf, &len);
        if (err != cases[i].err) {
            fail_msg("%s: %s (%s), expected %s", cases[i].text, err_str(err), err_msg(), err_str(cases[i].err));
        }
        assert_true(strncmp(err_msg(), "JSON byte ", 10) == 0);
    }
}

int main(void)
{
    const char *given = getenv("HWAL_SEED");
    seed              = given != NULL ? strtoull(given, NULL, 0) : 0x5eed;
    printf("HWAL_SEED=%" PRIu64 "\n", seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fbs_writers_agree_and_round_trip),
        cmocka_unit_test(test_fbs_other_layouts_read_the_same),
        cmocka_unit_test(test_fbs_view_with_a_moved_tail),
        cmocka_unit_test(test_fbs_json_is_what_the_struct_says),
        cmocka_unit_test(test_fbs_record_of_every_message),
        cmocka_unit_test(test_fbs_old_reader_new_buffer),
        cmocka_unit_test(test_fbs_new_reader_old_buffer),
        cmocka_unit_test(test_fbs_unknown_union_type_is_a_newer_writers),
        cmocka_unit_test(test_fbs_deprecated_field_is_not_looked_at),
        cmocka_unit_test(test_fbs_unknown_enum_value_is_a_number),
        cmocka_unit_test(test_fbs_verifier_refuses_every_truncation),
        cmocka_unit_test(test_fbs_mutations_never_read_outside),
        cmocka_unit_test(test_fbs_verifier_limits),
        cmocka_unit_test(test_fbs_verifier_alignment),
        cmocka_unit_test(test_fbs_verifier_unions_strings_required),
        cmocka_unit_test(test_fbs_builder_stays_in_its_room),
        cmocka_unit_test(test_fbs_json_every_kind),
        cmocka_unit_test(test_fbs_json_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
