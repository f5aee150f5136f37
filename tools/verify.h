/* verify: `hwal replay --verify`: a journal once more through the core: every recorded output, error and hash must come
 * out again. From the oldest snapshot whose journal is complete (the one of sequence 0, unless files were removed); the
 * state of every later snapshot is compared when the replay gets there. Reads files only, also those of a running
 * instance: then up to where they are. */
#pragma once

#include <stdbool.h>

#include "core/types/err.h"
#include "tools/recover.h"

#define VERIFY_SNAPSHOTS_MAX 64u

typedef struct verify_snapshot {
    uint64_t sequence;
    bool     checked; /* the replay got there */
    bool     equal;   /* state, outputs and record number agree */
} verify_snapshot_t;

typedef struct verify_result {
    bool              equal;
    uint64_t          session;
    uint64_t          inputs;
    uint64_t          outputs;
    uint64_t          lives;
    uint64_t          first_sequence;
    uint64_t          last_sequence;
    uint64_t          last_record;
    uint64_t          output_hash;
    uint64_t          state_hash;
    double            seconds;
    uint32_t          snapshot_count;
    verify_snapshot_t snapshots[VERIFY_SNAPSHOTS_MAX]; /* behind the one it began with */
    recover_diff_t    diff;
    char              note[256]; /* how the journal ends, when not cleanly; or why it could not be read on */
} verify_result_t;

/* verify_dir: the journal and snapshots of a directory. ERR_OK with the result, equal or not; ERR_NOT_FOUND when there is
 * no journal; else why nothing could be replayed. */
err_t verify_dir(const char *dir, verify_result_t *out);

/* verify_asked: is --verify among the arguments of `hwal replay`? verify_command: then this is the command.
 * Exit 0 equal, 1 not, 2 usage, 3 no journal. */
bool verify_asked(int argc, char **argv);
int  verify_command(int argc, char **argv);
