#include "tests/lib/journal_model.h"

#include <assert.h>
#include <string.h>

#include "ipc/message.h"

model_record_t model[MODEL_RECORDS_MAX + 1];
uint64_t       model_seed;

uint64_t model_rnd(void)
{
    uint64_t z = (model_seed += 0x9e3779b97f4a7c15u);
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint32_t put(uint64_t number, uint64_t sequence, const msg_t *msg, const record_head_t *head)
{
    const now_t     now    = {.mono_ns = (int64_t)number, .utc_ns = (int64_t)(1000 * number)};
    model_record_t *record = &model[number];
    size_t          len    = 0;
    assert(number <= MODEL_RECORDS_MAX);
    memset(record, 0, sizeof *record);
    const err_t err = message_write(msg, record_message(record->bytes), MESSAGE_BYTES_MAX, &len);
    assert(err == ERR_OK);
    record->len      = record_seal(record->bytes, msg->type, (uint32_t)len, sequence, now, head);
    record->sequence = sequence;
    return journal_record_bytes(record->len);
}

uint32_t model_batch(uint64_t first, uint64_t sequence, uint32_t outputs)
{
    level_t  levels[BOOK_UPDATE_MAX_LEVELS];
    uint32_t bytes = 0;
    for (uint32_t i = 0; i <= outputs; i++) {
        const book_update_t book  = {.bid_count = (uint16_t)(model_rnd() % 10), .venue_seq = model_rnd()};
        const trade_t       trade = {.px = (int64_t)model_rnd()};
        const bool          small = model_rnd() % 2;
        const msg_t         msg =
            small ? (msg_t){.type = MSG_TRADE, .body = &trade}
                          : (msg_t){.type = MSG_BOOK_UPDATE, .body = &book, .tail = levels, .tail_count = book.bid_count};
        const record_head_t head = {.kind        = i == 0 ? RECORD_INPUT : RECORD_OUTPUT,
                                    .source      = RECORD_SOURCE_MD,
                                    .outputs     = i == 0 ? outputs : 0,
                                    .output_hash = model_rnd()};
        for (uint32_t l = 0; l < book.bid_count; l++) {
            levels[l] = (level_t){.px = (int64_t)model_rnd(), .qty = (int64_t)model_rnd()};
        }
        bytes += put(first + i, sequence, &msg, &head);
        model[first + i].batch_last = first + outputs;
    }
    return bytes;
}

uint32_t model_boot(uint64_t number, uint64_t sequence, uint32_t epoch)
{
    const boot_t        boot  = {.epoch = epoch};
    const record_head_t head  = {.kind = RECORD_INPUT, .source = RECORD_SOURCE_ENGINE};
    const uint32_t      bytes = put(number, sequence, &(msg_t){.type = MSG_BOOT, .body = &boot}, &head);
    model[number].batch_last  = number;
    return bytes;
}

uint64_t model_whole(uint64_t number)
{
    while (number > 0 && model[number].batch_last > number) {
        number--;
    }
    return number;
}
