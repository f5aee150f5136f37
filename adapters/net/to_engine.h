/* to_engine: what every adapter does towards the engine: a message into its exec ring, a definition, and a look at the
 * instruments that the engine publishes, where it finds the ids.
 *
 * Threads  the adapter's. No allocation. */
#pragma once

#include "core/ref/instrument.h"
#include "ipc/message.h"
#include "ipc/records.h"
#include "ipc/ring_lossless.h"

typedef struct to_engine_buf { /* a published record, copied */
    uint64_t words[MESSAGE_BYTES_MAX / 8];
} to_engine_buf_t;

/* to_engine_tell: msg into exec, committed. ERR_FULL: no room; what message_write says (a message of ours that does not
 * fit its ring: a sentence). */
err_t to_engine_tell(lossless_writer_t *exec, uint32_t topic, const msg_t *msg);

/* to_engine_define: INSTRUMENT_DEF with id 0: the engine gives one. An equal definition again does nothing there. */
err_t to_engine_define(lossless_writer_t *exec, const instrument_t *ins);

/* to_engine_instrument: the engine's definition of an instrument id from 1; *msg points into buf. false: it has none.
 * to_engine_find: its id of a symbol at a venue; 0 = none. O(places). */
bool     to_engine_instrument(const records_reader_t *records, uint32_t id, to_engine_buf_t *buf, msg_t *msg);
uint32_t to_engine_find(const records_reader_t *records, uint16_t venue_id, const char *symbol);
