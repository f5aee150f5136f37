/* journal_model: records as an engine would journal them, kept in an array: what tests of the journal compare with. */
#pragma once

#include "ipc/journal.h"

#define MODEL_RECORDS_MAX 8192u

typedef struct model_record {
    uint64_t sequence;
    uint64_t batch_last; /* number of the last record of its batch */
    uint64_t end;        /* free for the test */
    uint32_t block_at;
    uint32_t len;
    _Alignas(8) uint8_t bytes[RECORD_BYTES_MAX];
} model_record_t;

extern model_record_t model[MODEL_RECORDS_MAX + 1]; /* by number */
extern uint64_t       model_seed;

uint64_t model_rnd(void); /* splitmix64 of model_seed */

/* model_batch: records first .. first + outputs: an input of that engine sequence and its outputs, of random sizes. The
 * sum of what they take on file. model_boot: the same for a BOOT without outputs. */
uint32_t model_batch(uint64_t first, uint64_t sequence, uint32_t outputs);
uint32_t model_boot(uint64_t number, uint64_t sequence, uint32_t epoch);

/* model_whole: the last record of the last whole batch among records 1..number. */
uint64_t model_whole(uint64_t number);
