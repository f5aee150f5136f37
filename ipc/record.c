#include "ipc/record.h"

#include <assert.h>
#include <string.h>

#include "hwal_fbs.h"
#include "ipc/message.h"

/* The prefix, byte for byte what the generic builder writes for a Record with all its fields (test_record.c compares):
 *
 *   0       4       8    12       28        32   40    48   56    88         92    93
 *   | root  | HWAL  | 0  | vtable | soffset | sequence, mono, utc | head     | msg | type | zeros to 96 | message ...
 *   \_______________ constant ______________/ */
#define TABLE_AT 28u
#define SEQUENCE_AT 32u
#define MONO_AT 40u
#define UTC_AT 48u
#define HEAD_AT 56u
#define MSG_AT 88u
#define TYPE_AT 92u

static const struct {
    uint32_t root;
    char     ident[4];
    uint32_t zero;
    uint16_t vtable[8]; /* its bytes, the table's bytes, places of sequence, mono_ns, utc_ns, msg_type, msg, head */
    uint32_t soffset;
} constant = {TABLE_AT,
              {'H', 'W', 'A', 'L'},
              0,
              {16, TYPE_AT + 1 - TABLE_AT, SEQUENCE_AT - TABLE_AT, MONO_AT - TABLE_AT, UTC_AT - TABLE_AT,
               TYPE_AT - TABLE_AT, MSG_AT - TABLE_AT, HEAD_AT - TABLE_AT},
              16};

_Static_assert(sizeof constant == SEQUENCE_AT, "fields follow the constants");
_Static_assert(HEAD_AT + sizeof(record_head_t) == MSG_AT, "layout of Record");
_Static_assert(RECORD_PREFIX % 8 == 0 && RECORD_PREFIX >= TYPE_AT + 1, "the message is 8-aligned behind the prefix");
_Static_assert(RECORD_BYTES_MAX == RECORD_PREFIX + MESSAGE_BYTES_MAX, "the largest record");

static void put_u32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}
static void put_u64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

uint32_t record_seal(void *buf, msg_type_t type, uint32_t message_len, uint64_t sequence, now_t now,
                     const record_head_t *head)
{
    uint8_t *at = buf;
    assert((uintptr_t)buf % 8 == 0 && message_len >= 8 && message_len <= MESSAGE_BYTES_MAX);
    memcpy(at, &constant, sizeof constant);
    put_u64(at + SEQUENCE_AT, sequence);
    put_u64(at + MONO_AT, (uint64_t)now.mono_ns);
    put_u64(at + UTC_AT, (uint64_t)now.utc_ns);
    memcpy(at + HEAD_AT, head, sizeof *head);
    put_u32(at + MSG_AT, RECORD_PREFIX - MSG_AT + fbs_u32(at + RECORD_PREFIX));
    put_u32(at + TYPE_AT, (uint8_t)type); /* and three zeros */
    return RECORD_PREFIX + message_len;
}

uint32_t record_size_prefix(void *buf, uint32_t len)
{
    assert(memcmp(buf, &constant, sizeof constant) == 0);
    uint8_t       *at    = buf;
    const uint32_t bytes = (len + 7) & ~7u;
    memset(at + len, 0, bytes - len);
    put_u32(at, bytes - 4);
    put_u32(at + 4, TABLE_AT - 4);
    memcpy(at + 8, constant.ident, sizeof constant.ident);
    return bytes;
}

void record_head_set(void *buf, const record_head_t *head)
{
    memcpy((uint8_t *)buf + HEAD_AT, head, sizeof *head);
}

record_head_t record_head_get(const void *buf)
{
    record_head_t head;
    memcpy(&head, (const uint8_t *)buf + HEAD_AT, sizeof head);
    return head;
}

uint64_t record_sequence(const void *buf)
{
    uint64_t sequence;
    memcpy(&sequence, (const uint8_t *)buf + SEQUENCE_AT, sizeof sequence);
    return sequence;
}

/* Ours: the constants, and Record.msg leads where the root word of the embedded buffer leads. */
static bool is_ours(const uint8_t *buf, size_t len)
{
    return len >= RECORD_PREFIX + 8 && memcmp(buf, &constant, sizeof constant) == 0 &&
           fbs_u32(buf + MSG_AT) == RECORD_PREFIX - MSG_AT + fbs_u32(buf + RECORD_PREFIX);
}

static err_t read_ours(const uint8_t *buf, size_t len, record_t *out)
{
    record_t record = {.message = buf + RECORD_PREFIX, .message_len = (uint32_t)(len - RECORD_PREFIX)};
    memcpy(&record.sequence, buf + SEQUENCE_AT, sizeof record.sequence);
    memcpy(&record.now.mono_ns, buf + MONO_AT, sizeof record.now.mono_ns);
    memcpy(&record.now.utc_ns, buf + UTC_AT, sizeof record.now.utc_ns);
    memcpy(&record.head, buf + HEAD_AT, sizeof record.head);
    const err_t err = message_read((msg_type_t)buf[TYPE_AT], record.message, record.message_len, &record.msg);
    if (err != ERR_OK) {
        return err_wrap(err, "record %llu", (unsigned long long)record.sequence);
    }
    *out = record;
    return ERR_OK;
}

err_t record_read(const void *buf, size_t len, record_t *out)
{
    if (len > FBS_BUFFER_MAX || (uintptr_t)buf % 8 != 0) {
        return err_set(ERR_ARG, "record of %zu bytes at %p: limit %u, 8-aligned", len, buf, FBS_BUFFER_MAX);
    }
    if (is_ours(buf, len)) {
        return read_ours(buf, len, out);
    }
    err_t err = hwal_record_verify(buf, len);
    if (err != ERR_OK) {
        return err;
    }
    const hwal_record_t *table  = hwal_record_root(buf);
    const record_head_t *head   = hwal_record_head(table);
    record_t             record = {.sequence = hwal_record_sequence(table),
                                   .now = {.mono_ns = hwal_record_mono_ns(table), .utc_ns = hwal_record_utc_ns(table)}};
    if (head != NULL) {
        record.head = *head;
    }
    err = message_view((msg_type_t)hwal_record_msg_type(table), hwal_record_msg(table), &record.msg);
    if (err != ERR_OK) {
        return err_wrap(err, "record %llu", (unsigned long long)record.sequence);
    }
    *out = record;
    return ERR_OK;
}
