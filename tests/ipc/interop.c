/* interop: our side of tests/ipc/interop.sh.
 *
 *   interop emit DIR COUNT SEED      for every message type and for Records: COUNT random messages as DIR/Table.N.bin
 *                                    (written by message_write), and what we say is in them as DIR/Table.N.ours
 *   interop stream FILE COUNT SEED   COUNT random messages of every type as `hwal tail --raw` writes them, and in FILE.json
 *                                    what `hwal tail --json` says of them
 *   interop bytes                    how long each message is
 *   interop read TABLE FILE.bin...   verify each, our JSON to FILE.read
 *   interop write TABLE FILE.json... our buffer from the JSON to FILE.bin */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "hwal_fbs.h"
#include "ipc/fbs_json.h"
#include "ipc/message.h"
#include "ipc/record.h"
#include "ipc/ring_meta.h"

#define ROOM (1u << 16)

static _Alignas(8) uint8_t buf[ROOM];
static char     text[4 * ROOM];
static uint64_t seed;

static void die(const char *what)
{
    fprintf(stderr, "interop: %s: %s\n", what, err_msg());
    exit(1);
}

static uint64_t rnd(void) /* splitmix64 */
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void rnd_words(uint64_t *to, size_t count)
{
    static const uint64_t extremes[] = {0, UINT64_MAX, (uint64_t)INT64_MIN, INT64_MAX, 0x3130303037353031};
    for (size_t i = 0; i < count; i++) {
        to[i] = rnd() % 3 == 0 ? extremes[rnd() % 5] : rnd() % 5 == 0 ? rnd() % 100 : rnd();
    }
}

static void put_file(const char *path, const void *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(bytes, 1, len, f) != len || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

static size_t get_file(const char *path, void *bytes)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        exit(1);
    }
    const size_t len = fread(bytes, 1, ROOM, f);
    fclose(f);
    return len;
}

static size_t emit_message(msg_type_t type, uint8_t *to)
{
    static uint64_t body[64], tail[2 * BOOK_UPDATE_MAX_LEVELS];
    msg_t           msg = {.type = type, .body = body};
    size_t          len;
    rnd_words(body, 64);
    rnd_words(tail, 2 * BOOK_UPDATE_MAX_LEVELS);
    if (type == MSG_BOOK_UPDATE) {
        book_update_t update;
        memcpy(&update, body, sizeof update);
        update.bid_count = (uint16_t)(rnd() % 33);
        update.ask_count = (uint16_t)(rnd() % 32);
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
        static const char *const symbols[] = {"BTCUSDT", "005930", "KRW-BTC", "\"\\\n\x01", "\xed\x95\x9c\xea\xb5\xad"};
        msg.text                           = symbols[rnd() % 5];
        msg.tail                           = tail;
        msg.tail_count                     = type == MSG_INSTRUMENT_DEF ? (uint32_t)(rnd() % 17) : 0;
    }
    if (message_write(&msg, to, MESSAGE_BYTES_MAX, &len) != ERR_OK) {
        die("message_write");
    }
    return len;
}

/* By the template, as the engine journals it, and by the builder. */
static size_t emit_record(msg_type_t type, bool sealed)
{
    static _Alignas(8) uint8_t inner[MESSAGE_BYTES_MAX];
    uint64_t                   words[3 + sizeof(record_head_t) / 8];
    record_head_t              head;
    fbs_builder_t              b;
    size_t                     len;
    rnd_words(words, sizeof words / sizeof words[0]);
    memcpy(&head, words + 3, sizeof head);
    if (sealed) {
        const size_t message_len = emit_message(type, record_message(buf));
        const now_t  now         = {.mono_ns = (int64_t)words[1], .utc_ns = (int64_t)words[2]};
        return record_seal(buf, type, (uint32_t)message_len, words[0], now, &head);
    }
    const size_t   inner_len = emit_message(type, inner);
    const uint32_t table     = hwal_record_begin(&b, buf, sizeof buf);
    hwal_record_put_sequence(&b, table, words[0]);
    hwal_record_put_mono_ns(&b, table, (int64_t)words[1]);
    hwal_record_put_utc_ns(&b, table, (int64_t)words[2]);
    hwal_record_put_msg(&b, table, (uint8_t)type, inner, inner_len);
    hwal_record_put_head(&b, table, &head);
    if (fbs_end(&b, &len) != ERR_OK) {
        die("record");
    }
    return len;
}

static void emit(const char *dir, int count)
{
    char path[4096];
    for (int n = 0; n < 2 * count * (MSG_TYPE_COUNT - 1); n++) {
        const msg_type_t    type   = (msg_type_t)(1 + n / 2 % (MSG_TYPE_COUNT - 1));
        const bool          record = n % 2 == 1;
        const fbs_object_t *object =
            record ? &hwal_record_object : fbs_union_object(&hwal_message_names, (uint8_t)type);
        const size_t len =
            record ? emit_record(type, n / (2 * (MSG_TYPE_COUNT - 1)) % 2 == 0) : emit_message(type, buf);
        size_t text_len;
        if (fbs_json_out(object, buf, text, sizeof text, &text_len) != ERR_OK) {
            die("JSON out");
        }
        snprintf(path, sizeof path, "%s/%s.%d.bin", dir, object->name, n);
        put_file(path, buf, len);
        snprintf(path, sizeof path, "%s/%s.%d.ours", dir, object->name, n);
        put_file(path, text, text_len);
    }
}

/* stream: as tools/tail.c's raw_record, with the same two calls. */
static void stream(const char *path, int count)
{
    char     json_path[4096];
    uint64_t seq = 1ull << 53; /* above what a double can count */
    snprintf(json_path, sizeof json_path, "%s.json", path);
    FILE *raw = fopen(path, "wb"), *json = fopen(json_path, "w");
    if (raw == NULL || json == NULL) {
        perror(path);
        exit(1);
    }
    for (int n = 0; n < count * (MSG_TYPE_COUNT - 1); n++) {
        const msg_type_t    type   = (msg_type_t)(1 + n % (MSG_TYPE_COUNT - 1));
        const size_t        len    = emit_message(type, record_message(buf));
        const fbs_object_t *object = fbs_union_object(&hwal_message_names, (uint8_t)type);
        size_t              text_len;
        if (fbs_json_out(object, record_message(buf), text, sizeof text, &text_len) != ERR_OK) {
            die("JSON out");
        }
        fprintf(json, "{\"seq\":%" PRIu64 ",\"type\":\"%s\",\"message\":%.*s}\n", ++seq, msg_type_str(type),
                (int)text_len, text);
        const uint32_t sealed = record_seal(buf, type, (uint32_t)len, seq, (now_t){0}, &(record_head_t){0});
        fwrite(buf, 1, record_size_prefix(buf, sealed), raw);
    }
    if (fclose(raw) != 0 || fclose(json) != 0) {
        perror(path);
        exit(1);
    }
}

static void bytes_of_messages(void)
{
    printf("%-22s %5s  %s\n", "message", "bytes", "lines of 64 in a ring");
    for (int type = 1; type < MSG_TYPE_COUNT; type++) {
        const uint32_t levels[] = {1, 16, BOOK_UPDATE_MAX_LEVELS}, entries[] = {1, 8, MBO_UPDATE_MAX_ENTRIES};
        for (int i = 0; i < (type == MSG_BOOK_UPDATE || type == MSG_MBO_UPDATE ? 3 : 1); i++) {
            const uint32_t tail  = type == MSG_BOOK_UPDATE ? levels[i] : type == MSG_MBO_UPDATE ? entries[i] : 0;
            const uint32_t bytes = message_bytes((msg_type_t)type, tail);
            char           name[40];
            snprintf(name, sizeof name, tail ? "%s, %u" : "%s", msg_type_str((msg_type_t)type), tail);
            if (bytes == 0) {
                printf("%-22s  as its text\n", name);
            } else {
                printf("%-22s %5u  %u\n", name, bytes, (RING_SLOT_HEAD + bytes + 63) / 64);
            }
        }
    }
}

static const fbs_object_t *find(const char *name)
{
    for (uint32_t i = 0; i < hwal_message_names.count; i++) {
        const fbs_object_t *object = hwal_message_names.vals[i].object;
        if (object != NULL && strcmp(object->name, name) == 0) {
            return object;
        }
    }
    if (strcmp(name, "Record") != 0) {
        err_set(ERR_ARG, "no such table");
        die(name);
    }
    return &hwal_record_object;
}

/* path with another end */
static const char *ended(const char *path, const char *end)
{
    static char out[4096];
    snprintf(out, sizeof out, "%.*s%s", (int)(strrchr(path, '.') - path), path, end);
    return out;
}

int main(int argc, char **argv)
{
    size_t len, text_len;
    if (argc == 5 && strcmp(argv[1], "emit") == 0) {
        seed = strtoull(argv[4], NULL, 0);
        emit(argv[2], atoi(argv[3]));
        return 0;
    }
    if (argc == 5 && strcmp(argv[1], "stream") == 0) {
        seed = strtoull(argv[4], NULL, 0);
        stream(argv[2], atoi(argv[3]));
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "bytes") == 0) {
        bytes_of_messages();
        return 0;
    }
    if (argc < 4) {
        fprintf(stderr, "usage: interop emit DIR COUNT SEED | stream FILE COUNT SEED | bytes | read TABLE FILE... | "
                        "write TABLE FILE...\n");
        return 2;
    }
    const fbs_object_t *object = find(argv[2]);
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[1], "read") == 0) {
            len = get_file(argv[i], buf);
            if (fbs_verify(object, buf, len) != ERR_OK ||
                fbs_json_out(object, buf, text, sizeof text, &text_len) != ERR_OK) {
                die(argv[i]);
            }
            put_file(ended(argv[i], ".read"), text, text_len);
        } else {
            text_len = get_file(argv[i], text);
            if (fbs_json_in(object, text, text_len, buf, sizeof buf, &len) != ERR_OK ||
                fbs_verify(object, buf, len) != ERR_OK) {
                die(argv[i]);
            }
            put_file(ended(argv[i], ".bin"), buf, len);
        }
    }
    return 0;
}
