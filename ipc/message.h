/* message: the engine's view of a message (msg_t of core/types/msg.h) from and to its FlatBuffers table.
 *
 *   bytes in a slot, file or lane  --message_read-->  msg_t {type, body, tail, text}, pointing into them
 *   msg_t                          --message_write--> the same bytes: a template for hot messages
 *
 * message_read is the one door by which bytes become a message: it verifies the buffer and then what FlatBuffers cannot
 * say (counts that must agree, text that must end). After it the engine reads in place; nothing is converted.
 *
 * The bytes must not change under the view: a broadcast slot is copied first. Any thread; no allocation, no state.
 * Limits   BOOK_UPDATE_MAX_LEVELS levels, INSTRUMENT_MAX_BANDS tick bands, SYMBOL_MAX bytes of symbol. */
#pragma once

#include "core/types/err.h"
#include "core/types/msg.h"

#define MESSAGE_BYTES_MAX                                                                                              \
    1152u /* of any message: a BOOK_UPDATE with 64 levels or an MBO_UPDATE with 32 entries is 1,104; a multiple of 64 */

/* message_read: the message of that type in buf[0..len), buf 8-aligned. *out points into buf.
 *   Returns  ERR_OK; ERR_ARG (type unknown, buf not aligned), ERR_PARSE, ERR_LIMIT with a sentence; *out untouched then
 *   Cost     hot types as written here: a few ns; any other conforming buffer: O(fields) */
err_t message_read(msg_type_t type, const void *buf, size_t len, msg_t *out);

/* message_view: the same of a table inside a buffer that was verified as a whole (the value of Record.msg): what
 * FlatBuffers cannot say is checked here. Errors as above. */
err_t message_view(msg_type_t type, const void *table, msg_t *out);

/* message_bytes: how long message_write makes a message of that type with so many tail elements: 80 + 16 * levels of a
 * BOOK_UPDATE; 0 for those that hold text (INSTRUMENT_DEF, LOG, LIMIT_CHANGE, OPERATE: as long as it) and for what is no type. */
uint32_t message_bytes(msg_type_t type, uint32_t tail_count);

/* message_write: msg as a buffer at buf (8-aligned, cap bytes); *len is its length.
 *   Returns  ERR_OK; ERR_FULL (cap too small); ERR_ARG (type unknown), ERR_LIMIT (tail, text) with a sentence
 *   Cost     a copy of body and tail */
err_t message_write(const msg_t *msg, void *buf, size_t cap, size_t *len);
