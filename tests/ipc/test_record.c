/* The Record template. Invariants checked:
 *   - for every message type, random contents: what record_seal writes is byte for byte what the generic builder writes,
 *     fbs_verify accepts it, and record_read gives back every field
 *   - record_size_prefix: what lies behind the first 12 bytes does not move, the rest says so by FlatBuffers' rules
 *   - record_head_set changes the head and nothing else
 *   - a Record of another writer (fields in another order, head left out, message not embedded as a buffer) is read too;
 *     no prefix of a record is, and no random change makes it read outside (the sanitizers watch)
 * The interoperation with flatc is in interop.sh: the bytes here are the ones that it decodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hwal_fbs.h"
#include "ipc/fbs_json.h"
#include "ipc/message.h"
#include "ipc/record.h"

static uint64_t seed;

static uint64_t rnd(void) /* splitmix64 */
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t random_message(msg_type_t type, void *to)
{
    static uint64_t body[64], tail[2 * BOOK_UPDATE_MAX_LEVELS];
    msg_t           msg = {.type = type, .body = body};
    size_t          len = 0;
    for (size_t i = 0; i < 64; i++) {
        body[i] = rnd();
    }
    for (size_t i = 0; i < 2 * BOOK_UPDATE_MAX_LEVELS; i++) {
        tail[i] = rnd();
    }
    if (type == MSG_BOOK_UPDATE) {
        book_update_t update;
        memcpy(&update, body, sizeof update);
        update.bid_count = (uint16_t)(rnd() % 33);
        update.ask_count = (uint16_t)(rnd() % 33);
        memcpy(body, &update, sizeof update);
        msg.tail       = tail;
        msg.tail_count = (uint32_t)(update.bid_count + update.ask_count);
    } else if (type == MSG_MBO_UPDATE) {
        mbo_update_t update;
        memcpy(&update, body, sizeof update);
        update.entry_count = (uint16_t)(rnd() % (MBO_UPDATE_MAX_ENTRIES + 1));
        memcpy(body, &update, sizeof update);
        msg.tail       = tail;
        msg.tail_count = update.entry_count;
    } else if (message_bytes(type, 0) == 0) {
        msg.text       = rnd() % 2 ? "BTCUSDT" : "005930.";
        msg.tail       = tail;
        msg.tail_count = type == MSG_INSTRUMENT_DEF ? (uint32_t)(rnd() % 17) : 0;
    }
    assert_int_equal(message_write(&msg, to, MESSAGE_BYTES_MAX, &len), ERR_OK);
    return len;
}

static size_t generic(const void *message, size_t message_len, msg_type_t type, uint64_t sequence, now_t now,
                      const record_head_t *head, void *buf, size_t cap)
{
    fbs_builder_t  b;
    size_t         len;
    const uint32_t table = hwal_record_begin(&b, buf, cap);
    hwal_record_put_sequence(&b, table, sequence);
    hwal_record_put_mono_ns(&b, table, now.mono_ns);
    hwal_record_put_utc_ns(&b, table, now.utc_ns);
    hwal_record_put_msg(&b, table, (uint8_t)type, message, message_len);
    hwal_record_put_head(&b, table, head);
    assert_int_equal(fbs_end(&b, &len), ERR_OK);
    return len;
}

static record_head_t random_head(void)
{
    record_head_t head;
    uint64_t      words[4] = {rnd(), rnd(), rnd(), rnd()};
    memcpy(&head, words, sizeof head);
    return head;
}

static void test_record_template_is_what_the_builder_writes(void **state)
{
    (void)state;
    static _Alignas(8) uint8_t ours[RECORD_BYTES_MAX], want[RECORD_BYTES_MAX];
    for (int n = 0; n < 200 * (MSG_TYPE_COUNT - 1); n++) {
        const msg_type_t    type = (msg_type_t)(1 + n % (MSG_TYPE_COUNT - 1));
        const now_t         now  = {.mono_ns = (int64_t)rnd(), .utc_ns = (int64_t)rnd()};
        const record_head_t head = random_head(), head2 = random_head();
        const uint64_t      sequence = rnd();
        record_t            got;
        memset(ours, 0xee, sizeof ours); /* seal leaves nothing of what lay there */
        const size_t   message_len = random_message(type, record_message(ours));
        const uint32_t len         = record_seal(ours, type, (uint32_t)message_len, sequence, now, &head);
        assert_int_equal(len,
                         generic(record_message(ours), message_len, type, sequence, now, &head, want, sizeof want));
        assert_memory_equal(ours, want, len);
        assert_int_equal(hwal_record_verify(ours, len), ERR_OK);
        record_head_set(ours, &head2);
        generic(record_message(ours), message_len, type, sequence, now, &head2, want, sizeof want);
        assert_memory_equal(ours, want, len);
        assert_int_equal(record_read(ours, len, &got), ERR_OK);
        assert_true(got.sequence == sequence && got.now.mono_ns == now.mono_ns && got.now.utc_ns == now.utc_ns);
        assert_memory_equal(&got.head, &head2, sizeof head2);
        const record_head_t back = record_head_get(ours);
        assert_memory_equal(&back, &head2, sizeof head2);
        assert_true(record_sequence(ours) == sequence);
        assert_int_equal(got.msg.type, type);
        assert_ptr_equal(got.message, record_message(ours));
        assert_int_equal(got.message_len, message_len);
        assert_true((const uint8_t *)got.msg.body > (const uint8_t *)got.message &&
                    (const uint8_t *)got.msg.body < ours + len);
    }
}

static void test_record_with_a_size_prefix(void **state)
{
    (void)state;
    static _Alignas(8) uint8_t sealed[RECORD_BYTES_MAX + 8], stream[RECORD_BYTES_MAX + 8];
    for (int n = 0; n < 50 * (MSG_TYPE_COUNT - 1); n++) {
        const msg_type_t    type        = (msg_type_t)(1 + n % (MSG_TYPE_COUNT - 1));
        const record_head_t head        = random_head();
        const size_t        message_len = random_message(type, record_message(sealed));
        const uint64_t      sequence    = rnd();
        const uint32_t      len = record_seal(sealed, type, (uint32_t)message_len, sequence, (now_t){1, 2}, &head);
        memcpy(stream, sealed, len);
        memset(stream + len, 0xee, sizeof stream - len);
        const uint32_t bytes = record_size_prefix(stream, len);
        assert_true(bytes % 8 == 0 && bytes >= len && bytes < len + 8);
        assert_int_equal(fbs_u32(stream), bytes - 4);
        assert_memory_equal(stream + 8, "HWAL", 4);
        assert_memory_equal(stream + 12, sealed + 12, len - 12);
        for (uint32_t i = len; i < bytes; i++) {
            assert_int_equal(stream[i], 0);
        }
        const void *root = fbs_root(stream + 4); /* which begins behind the prefix */
        assert_ptr_equal((const uint8_t *)root - stream, (const uint8_t *)fbs_root(sealed) - sealed);
        assert_true(hwal_record_sequence(root) == sequence && hwal_record_msg_type(root) == type);
    }
}

static void test_record_of_another_writer(void **state)
{
    (void)state;
    static const char text[] = "{\"sequence\": 7, \"mono_ns\": -5, \"msg_type\": \"TICK\", "
                               "\"msg\": {\"body\": {\"mono_ns\": 1, \"utc_ns\": 2}}}";
    static const char def[]  = "{\"utc_ns\": 9, \"msg_type\": \"LOG\", \"msg\": {\"body\": {\"utc_ns\": 3, \"count\": "
                               "4, \"level\": \"WARN\", \"reserved\": 0, \"reserved2\": 0}, \"text\": \"hello\"}}";
    static _Alignas(8) uint8_t buf[4096];
    size_t                     len;
    record_t                   got;
    assert_int_equal(fbs_json_in(&hwal_record_object, text, sizeof text - 1, buf, sizeof buf, &len), ERR_OK);
    assert_int_equal(record_read(buf, len, &got), ERR_OK);
    assert_true(got.sequence == 7 && got.now.mono_ns == -5 && got.now.utc_ns == 0 && got.head.kind == RECORD_NONE);
    assert_null(got.message);
    assert_int_equal(got.msg.type, MSG_TICK);
    assert_int_equal(((const tick_t *)got.msg.body)->utc_ns, 2);
    assert_int_equal(fbs_json_in(&hwal_record_object, def, sizeof def - 1, buf, sizeof buf, &len), ERR_OK);
    assert_int_equal(record_read(buf, len, &got), ERR_OK);
    assert_string_equal(got.msg.text, "hello");
    const size_t text_at = (size_t)((const uint8_t *)(const void *)got.msg.text - buf);
    memset(buf + text_at, 0, 5); /* what FlatBuffers cannot say is checked here as well: zeros in a text */
    assert_int_equal(record_read(buf, len, &got), ERR_LIMIT);
}

static void test_record_refuses_what_is_none(void **state)
{
    (void)state;
    static _Alignas(8) uint8_t buf[RECORD_BYTES_MAX];
    record_t                   got;
    for (int n = 0; n < 100 * (MSG_TYPE_COUNT - 1); n++) {
        const msg_type_t    type        = (msg_type_t)(1 + n % (MSG_TYPE_COUNT - 1));
        const record_head_t head        = {.kind = RECORD_INPUT};
        const size_t        message_len = random_message(type, record_message(buf));
        const uint32_t      len         = record_seal(buf, type, (uint32_t)message_len, 1, (now_t){1, 2}, &head);
        for (uint32_t cut = 0; cut < len; cut++) {
            uint8_t *exact = aligned_alloc(8, (cut + 8u) & ~7u);

            memcpy(exact, buf, cut);
            const err_t err = record_read(exact, cut, &got);
            if (message_bytes(type, 0) != 0) { /* theirs may end in padding */
                assert_int_not_equal(err, ERR_OK);
            }
            free(exact);
            cut += cut > 120 ? (uint32_t)(rnd() % 13) : 0;
        }
        for (int i = 0; i < 30; i++) {
            uint8_t *exact = aligned_alloc(8, (len + 7u) & ~7u);
            memcpy(exact, buf, len);
            exact[rnd() % (rnd() % 2 && len > 128 ? 128 : len)] ^= (uint8_t)(1u << rnd() % 8);
            if (record_read(exact, len, &got) == ERR_OK) {
                assert_true((const uint8_t *)got.msg.body >= exact && (const uint8_t *)got.msg.body < exact + len);
            }
            free(exact);
        }
    }
    assert_int_equal(record_read(buf + 4, 200, &got), ERR_ARG);
    assert_int_equal(record_read(buf, 0, &got), ERR_PARSE);
}

int main(void)
{
    const char *given = getenv("HWAL_SEED");
    seed              = given != NULL ? strtoull(given, NULL, 0) : 20251121;
    printf("HWAL_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_template_is_what_the_builder_writes),
        cmocka_unit_test(test_record_with_a_size_prefix),
        cmocka_unit_test(test_record_of_another_writer),
        cmocka_unit_test(test_record_refuses_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
