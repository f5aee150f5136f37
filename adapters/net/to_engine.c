#include "adapters/net/to_engine.h"

#include <string.h>

err_t to_engine_tell(lossless_writer_t *exec, uint32_t topic, const msg_t *msg)
{
    size_t len = 0;
    if (lossless_room(exec, 1) == 0) {
        return ERR_FULL;
    }
    const err_t err = message_write(msg, lossless_slot(exec, 0), lossless_payload_max(exec), &len);
    if (err != ERR_OK) {
        return err_set(ERR_LIMIT, "%s does not fit a slot of %u bytes: %s", msg_type_str(msg->type),
                       lossless_payload_max(exec), err_str(err));
    }
    lossless_meta(exec, 0, &(ring_meta_t){.len = (uint32_t)len, .type = (uint16_t)msg->type, .topic = topic});
    lossless_commit(exec, 1);
    return ERR_OK;
}

err_t to_engine_define(lossless_writer_t *exec, const instrument_t *ins)
{
    instrument_def_t def = ins->def;
    def.instrument_id    = 0;
    return to_engine_tell(exec, 0,
                          &(msg_t){.type       = MSG_INSTRUMENT_DEF,
                                   .body       = &def,
                                   .tail       = ins->bands,
                                   .tail_count = ins->band_count,
                                   .text       = ins->symbol});
}

bool to_engine_instrument(const records_reader_t *records, uint32_t id, to_engine_buf_t *buf, msg_t *msg)
{
    ring_meta_t meta;
    uint64_t    version;
    return id >= 1 && id <= records->count &&
           records_read(records, id - 1, buf, sizeof *buf, &meta, &version) == ERR_OK &&
           meta.type == MSG_INSTRUMENT_DEF && message_read(meta.type, buf, meta.len, msg) == ERR_OK &&
           ((const instrument_def_t *)msg->body)->instrument_id == id;
}

uint32_t to_engine_find(const records_reader_t *records, uint16_t venue_id, const char *symbol)
{
    to_engine_buf_t buf;
    msg_t           msg;
    for (uint32_t id = 1; id <= records->count; id++) {
        if (to_engine_instrument(records, id, &buf, &msg) &&
            ((const instrument_def_t *)msg.body)->venue_id == venue_id && strcmp(msg.text, symbol) == 0) {
            return id;
        }
    }
    return 0;
}
