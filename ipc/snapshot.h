/* snapshot: an engine's arena in a file: header, the pages that are not all zero, SHA-256 over it all.
 *
 *   | head 4096: magic, version, session, core version, config hash, engine sequence, record number, output hash, state
 *     hash, arena bytes, page count, now, sha256 of what follows | page index u32 x count, padded | pages |
 *
 * The arena has no pointers, so its bytes are the state. Written once at the birth of a journal (sequence 0) and at every
 * orderly stop; recovery takes the newest good one and replays what follows. A damaged one is refused whole.
 * Owner   the engine role writes to a descriptor that the supervisor opened (a temporary name); the supervisor renames it
 *         to snapshot.<sequence> after fsync. Read by recovery and `hwal replay --verify`.
 * Errors  ERR_IO, ERR_PARSE (what and where), ERR_UNSUPPORTED (other core version or configuration), ERR_LIMIT. */
#pragma once

#include "core/types/err.h"
#include "core/types/time.h"
#include "ipc/journal.h"

typedef struct snapshot_info {
    journal_id_t id;
    uint64_t     sequence; /* engine sequence it stands behind */
    uint64_t     record;   /* journal record number it stands behind */
    uint64_t     output_hash;
    uint64_t     state_hash;
    uint64_t     arena_bytes;
    now_t        now; /* of its last input */
    int64_t      mono_offset_ns;
    uint64_t     source_seq[2][16]; /* positions in rings, [RECORD_SOURCE_MD or _EXEC - 2][ring slot] ... */
    uint32_t     source_gen[2][16]; /* ... and whose: as of the last input from each; 0 = none */
    uint32_t     epoch;
    uint32_t     boot_id_hash; /* of the machine's boot: the monotonic clock is comparable only within one */
} snapshot_info_t;

/* snapshot_write: into an empty file; on the disk (fsync) when it returns. snapshot_head: the head alone: its checksum,
 * and that the file is as long as it says. */
err_t snapshot_write(int fd, const snapshot_info_t *info, const void *arena);
err_t snapshot_head(int fd, snapshot_info_t *info);
/* snapshot_load: the arena, zeroed before and info->arena_bytes long, from the file whose head said info. On failure it is
 * all zeros again. */
err_t snapshot_load(int fd, const snapshot_info_t *info, void *arena);
