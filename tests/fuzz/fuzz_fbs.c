/* Verifier, readers, JSON out and JSON in on any bytes. The first byte chooses the table and whether the rest is a
 * buffer or JSON text. What the verifier accepts is read to the end; its JSON read back must give a buffer with the
 * same JSON; what JSON in makes, the verifier must accept. */
#include <assert.h>
#include <stdlib.h>

#include "hwal_fbs.h"
#include "ipc/fbs_json.h"
#include "ipc/message.h"

#define ROOM (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const fbs_object_t *object_of(uint8_t type)
{
    return type == 0 ? &hwal_record_object : fbs_union_object(&hwal_message_names, type);
}

static void check_buffer(const fbs_object_t *object, const uint8_t *buf)
{
    static char                one[ROOM], two[ROOM];
    static _Alignas(8) uint8_t again[ROOM];
    size_t                     n, m, len;
    if (fbs_json_out(object, buf, one, sizeof one, &n) != ERR_OK ||
        fbs_json_in(object, one, n, again, sizeof again, &len) != ERR_OK) {
        return; /* no UTF-8, a type of a newer schema, a long string */
    }
    const err_t verified = fbs_verify(object, again, len);
    const err_t printed  = fbs_json_out(object, again, two, sizeof two, &m);
    assert(verified == ERR_OK && printed == ERR_OK && n == m && memcmp(one, two, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static _Alignas(8) uint8_t made[ROOM];
    const uint8_t              type   = size == 0 ? 0 : data[0] % 32;
    const fbs_object_t        *object = object_of(type % 16);
    size_t                     len;
    msg_t                      msg;
    if (size == 0 || object == NULL) {
        return 0;
    }
    if (type >= 16) {
        if (fbs_json_in(object, (const char *)data + 1, size - 1, made, sizeof made, &len) == ERR_OK) {
            const err_t verified = fbs_verify(object, made, len);
            assert(verified == ERR_OK);
            check_buffer(object, made);
        }
        return 0;
    }
    uint8_t *copy = malloc(size == 1 ? 1 : size - 1); /* exactly as long, so that one byte too far is seen */
    memcpy(copy, data + 1, size - 1);
    if (fbs_verify(object, copy, size - 1) == ERR_OK) {
        check_buffer(object, copy);
        if (type != 0) {
            message_read((msg_type_t)type, copy, size - 1, &msg);
        }
    }
    free(copy);
    return 0;
}
