#include "ipc/message.h"

#include <string.h>

#include "core/ref/instrument.h"
#include "hwal_fbs.h"

_Static_assert(HWAL_BOOK_UPDATE_MSG_BYTES(BOOK_UPDATE_MAX_LEVELS) <= MESSAGE_BYTES_MAX, "the largest hot message");
_Static_assert(HWAL_MBO_UPDATE_MSG_BYTES(MBO_UPDATE_MAX_ENTRIES) <= MESSAGE_BYTES_MAX, "the largest hot message");
_Static_assert(MESSAGE_BYTES_MAX % 64 == 0, "a ring's stride");

#define BODY_AT 4u /* of field 0 in a vtable: every message's body */

/* The limits that hold in both directions. */
static err_t check_tail(const char *what, uint32_t count, uint32_t max)
{
    return count <= max ? ERR_OK : err_set(ERR_LIMIT, "%s: %u elements, limit %u", what, count, max);
}

static err_t check_levels(const book_update_t *body, uint32_t count)
{
    if ((uint32_t)body->bid_count + body->ask_count != count) {
        return err_set(ERR_PARSE, "BOOK_UPDATE: %u bids and %u asks announced, %u levels there", body->bid_count,
                       body->ask_count, count);
    }
    return check_tail("BOOK_UPDATE levels", count, BOOK_UPDATE_MAX_LEVELS);
}

static err_t check_entries(const mbo_update_t *body, uint32_t count)
{
    if (body->entry_count != count) {
        return err_set(ERR_PARSE, "MBO_UPDATE: %u entries announced, %u there", body->entry_count, count);
    }
    return check_tail("MBO_UPDATE entries", count, MBO_UPDATE_MAX_ENTRIES);
}

static err_t check_text(const char *what, const char *text, size_t len, size_t max)
{
    if (len == 0 || len > max || memchr(text, 0, len) != NULL) {
        return err_set(ERR_LIMIT, "%s: %zu bytes, limits 1 to %zu, without a zero in them", what, len, max);
    }
    return ERR_OK;
}

static err_t check_symbol(const char *text, size_t len)
{
    return check_text("INSTRUMENT_DEF symbol", text, len, SYMBOL_MAX);
}

static err_t read_book_update(const void *buf, msg_t *out)
{
    const hwal_book_update_msg_view_t view = hwal_book_update_msg_view(buf);
    out->body                              = view.body;
    out->tail                              = view.levels;
    out->tail_count                        = view.levels_count;
    return check_levels(view.body, view.levels_count);
}

static err_t view_book_update(const hwal_book_update_msg_t *table, msg_t *out)
{
    out->body = hwal_book_update_msg_body(table);
    out->tail = hwal_book_update_msg_levels(table, &out->tail_count);
    return check_levels(out->body, out->tail_count);
}

static err_t read_mbo_update(const void *buf, msg_t *out)
{
    const hwal_mbo_update_msg_view_t view = hwal_mbo_update_msg_view(buf);
    out->body                             = view.body;
    out->tail                             = view.entries;
    out->tail_count                       = view.entries_count;
    return check_entries(view.body, view.entries_count);
}

static err_t view_mbo_update(const hwal_mbo_update_msg_t *table, msg_t *out)
{
    out->body = hwal_mbo_update_msg_body(table);
    out->tail = hwal_mbo_update_msg_entries(table, &out->tail_count);
    return check_entries(out->body, out->tail_count);
}

static err_t view_instrument_def(const hwal_instrument_def_msg_t *table, msg_t *out)
{
    uint32_t len;
    out->body       = hwal_instrument_def_msg_body(table);
    out->text       = hwal_instrument_def_msg_symbol(table, &len);
    out->tail       = hwal_instrument_def_msg_bands(table, &out->tail_count);
    const err_t err = check_symbol(out->text, len);
    return err != ERR_OK ? err : check_tail("INSTRUMENT_DEF bands", out->tail_count, INSTRUMENT_MAX_BANDS);
}

static err_t view_log(const hwal_log_msg_t *table, msg_t *out)
{
    uint32_t len;
    out->body = hwal_log_msg_body(table);
    out->text = hwal_log_msg_text(table, &len);
    return check_text("LOG text", out->text, len, LOG_TEXT_MAX);
}

static err_t check_reason(const char *text, size_t len)
{
    return check_text("reason", text, len, REASON_MAX);
}

static err_t view_limit_change(const hwal_limit_change_msg_t *table, msg_t *out)
{
    uint32_t len;
    out->body = hwal_limit_change_msg_body(table);
    out->text = hwal_limit_change_msg_reason(table, &len);
    return check_reason(out->text, len);
}

static err_t view_operate(const hwal_operate_msg_t *table, msg_t *out)
{
    uint32_t len;
    out->body = hwal_operate_msg_body(table);
    out->text = hwal_operate_msg_reason(table, &len);
    return check_reason(out->text, len);
}

static err_t object_of(msg_type_t type, const fbs_object_t **out)
{
    *out = fbs_union_object(&hwal_message_names, (unsigned)type <= 255 ? (uint8_t)type : 0);
    return *out != NULL
               ? ERR_OK
               : err_set(ERR_ARG, "message type %u is not known, limit %u", (unsigned)type, MSG_TYPE_COUNT - 1u);
}

err_t message_view(msg_type_t type, const void *table, msg_t *out)
{
    const fbs_object_t *object;
    msg_t               msg = {.type = type};
    err_t               err = object_of(type, &object);
    if (err != ERR_OK) {
        return err;
    }
    if (type == MSG_BOOK_UPDATE) {
        err = view_book_update(table, &msg);
    } else if (type == MSG_MBO_UPDATE) {
        err = view_mbo_update(table, &msg);
    } else if (type == MSG_INSTRUMENT_DEF) {
        err = view_instrument_def(table, &msg);
    } else if (type == MSG_LOG) {
        err = view_log(table, &msg);
    } else if (type == MSG_LIMIT_CHANGE) {
        err = view_limit_change(table, &msg);
    } else if (type == MSG_OPERATE) {
        err = view_operate(table, &msg);
    } else {
        msg.body = fbs_slot(table, BODY_AT);
    }
    if (err == ERR_OK) {
        *out = msg;
    }
    return err;
}

err_t message_read(msg_type_t type, const void *buf, size_t len, msg_t *out)
{
    const fbs_object_t *object;
    msg_t               msg = {.type = type};
    err_t               err = object_of(type, &object);
    err                     = err != ERR_OK ? err : fbs_verify(object, buf, len);
    if (err != ERR_OK) {
        return err;
    }
    if (type == MSG_BOOK_UPDATE) {
        err = read_book_update(buf, &msg);
    } else if (type == MSG_MBO_UPDATE) {
        err = read_mbo_update(buf, &msg);
    } else if (object->hot == NULL) {
        return message_view(type, fbs_root(buf), out);
    } else {
        msg.body = fbs_has_head(object->hot, buf) ? (const uint8_t *)buf + object->hot->head_bytes
                                                  : fbs_slot(fbs_root(buf), BODY_AT);
    }
    if (err == ERR_OK) {
        *out = msg;
    }
    return err;
}

uint32_t message_bytes(msg_type_t type, uint32_t tail_count)
{
    const fbs_object_t *object = fbs_union_object(&hwal_message_names, (unsigned)type <= 255 ? (uint8_t)type : 0);
    return object == NULL || object->hot == NULL ? 0
                                                 : object->hot->fixed_bytes + tail_count * object->hot->tail_el_bytes;
}

static err_t write_book_update(const msg_t *msg, void *buf, size_t cap, size_t *len)
{
    hwal_book_update_msg_slot_t slot;
    const err_t                 err = check_levels(msg->body, msg->tail_count);
    if (err != ERR_OK) {
        return err;
    }
    if (!hwal_book_update_msg_reserve(buf, cap, &slot) || slot.levels_max < msg->tail_count) {
        return ERR_FULL;
    }
    memcpy(slot.body, msg->body, sizeof *slot.body);
    if (msg->tail_count != 0) {
        memcpy(slot.levels, msg->tail, msg->tail_count * sizeof *slot.levels);
    }
    *len = hwal_book_update_msg_commit(&slot, msg->tail_count);
    return ERR_OK;
}

static err_t write_mbo_update(const msg_t *msg, void *buf, size_t cap, size_t *len)
{
    hwal_mbo_update_msg_slot_t slot;
    const err_t                err = check_entries(msg->body, msg->tail_count);
    if (err != ERR_OK) {
        return err;
    }
    if (!hwal_mbo_update_msg_reserve(buf, cap, &slot) || slot.entries_max < msg->tail_count) {
        return ERR_FULL;
    }
    memcpy(slot.body, msg->body, sizeof *slot.body);
    if (msg->tail_count != 0) {
        memcpy(slot.entries, msg->tail, msg->tail_count * sizeof *slot.entries);
    }
    *len = hwal_mbo_update_msg_commit(&slot, msg->tail_count);
    return ERR_OK;
}

static err_t write_instrument_def(const msg_t *msg, void *buf, size_t cap, size_t *len)
{
    const size_t symbol_bytes = msg->text == NULL ? 0 : strnlen(msg->text, SYMBOL_MAX + 1);
    err_t        err          = check_symbol(msg->text, symbol_bytes);
    err = err != ERR_OK ? err : check_tail("INSTRUMENT_DEF bands", msg->tail_count, INSTRUMENT_MAX_BANDS);
    if (err != ERR_OK) {
        return err;
    }
    fbs_builder_t  b;
    const uint32_t table = hwal_instrument_def_msg_begin(&b, buf, cap);
    hwal_instrument_def_msg_put_body(&b, table, msg->body);
    hwal_instrument_def_msg_put_symbol(&b, table, msg->text, symbol_bytes);
    hwal_instrument_def_msg_put_bands(&b, table, msg->tail, msg->tail_count);
    return fbs_end(&b, len);
}

static err_t write_log(const msg_t *msg, void *buf, size_t cap, size_t *len)
{
    const size_t bytes = msg->text == NULL ? 0 : strnlen(msg->text, LOG_TEXT_MAX + 1);
    const err_t  err   = check_text("LOG text", msg->text, bytes, LOG_TEXT_MAX);
    if (err != ERR_OK) {
        return err;
    }
    fbs_builder_t  b;
    const uint32_t table = hwal_log_msg_begin(&b, buf, cap);
    hwal_log_msg_put_body(&b, table, msg->body);
    hwal_log_msg_put_text(&b, table, msg->text, bytes);
    return fbs_end(&b, len);
}

static err_t write_limit_change(const msg_t *msg, void *buf, size_t cap, size_t *len)
{
    const size_t bytes = msg->text == NULL ? 0 : strnlen(msg->text, REASON_MAX + 1);
    const err_t  err   = check_reason(msg->text, bytes);
    if (err != ERR_OK) {
        return err;
    }
    fbs_builder_t  b;
    const uint32_t table = hwal_limit_change_msg_begin(&b, buf, cap);
    hwal_limit_change_msg_put_body(&b, table, msg->body);
    hwal_limit_change_msg_put_reason(&b, table, msg->text, bytes);
    return fbs_end(&b, len);
}

static err_t write_operate(const msg_t *msg, void *buf, size_t cap, size_t *len)
{
    const size_t bytes = msg->text == NULL ? 0 : strnlen(msg->text, REASON_MAX + 1);
    const err_t  err   = check_reason(msg->text, bytes);
    if (err != ERR_OK) {
        return err;
    }
    fbs_builder_t  b;
    const uint32_t table = hwal_operate_msg_begin(&b, buf, cap);
    hwal_operate_msg_put_body(&b, table, msg->body);
    hwal_operate_msg_put_reason(&b, table, msg->text, bytes);
    return fbs_end(&b, len);
}

err_t message_write(const msg_t *msg, void *buf, size_t cap, size_t *len)
{
    const msg_type_t    type = msg->type;
    const fbs_object_t *object;
    const err_t         err = object_of(type, &object);
    if (err != ERR_OK) {
        return err;
    }
    if (type == MSG_BOOK_UPDATE) {
        return write_book_update(msg, buf, cap, len);
    }
    if (type == MSG_MBO_UPDATE) {
        return write_mbo_update(msg, buf, cap, len);
    }
    if (type == MSG_INSTRUMENT_DEF) {
        return write_instrument_def(msg, buf, cap, len);
    }
    if (type == MSG_LOG) {
        return write_log(msg, buf, cap, len);
    }
    if (type == MSG_LIMIT_CHANGE) {
        return write_limit_change(msg, buf, cap, len);
    }
    if (type == MSG_OPERATE) {
        return write_operate(msg, buf, cap, len);
    }
    const fbs_hot_t *hot = object->hot;
    if (cap < hot->fixed_bytes) {
        return ERR_FULL;
    }
    memcpy(buf, hot->head, hot->head_bytes);
    memcpy((uint8_t *)buf + hot->head_bytes, msg->body, hot->fixed_bytes - hot->head_bytes);
    *len = hot->fixed_bytes;
    return ERR_OK;
}
