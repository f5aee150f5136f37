/* recover: snapshot and journal into an engine: how a life begins, and how a journal is checked.
 *
 *   snapshot ─▶ arena ─▶ journal inputs behind it, one by one, through engine_apply with the outputs kept back
 *                          │ err, hash of all outputs, each journaled output byte for byte = what is on file
 *                          ▼ else: recover_diff_t, and nothing goes on
 *   sequence, record, now, clock offset, epoch · positions in every ring · requests of the last life that never left
 *
 * Sent     A life's requests stand in its ord ring in the order of the journal, from 1 (one ring for each life). Those
 *          beyond what the ring of the last journaled life holds were journaled and never sent. A ring that holds other
 *          messages than the journal, or more, or no ring of that life at all: what was sent is not known
 *          (recover_orders_unknown), as after a power loss.
 * Clock    recover_offset: engine time goes on from the last record whatever happened to the machine's clocks.
 *
 * Memory   arena mapped and touched, handle and buffers allocated by recover_open; recover_close gives them back.
 * Threads  one. Cold, but for the replay: the event path of the engine plus ~100 ns a record. */
#pragma once

#include <stdbool.h>

#include "core/engine/engine.h"
#include "ipc/control.h"
#include "ipc/journal.h"
#include "ipc/ring_lossless.h"
#include "ipc/segment.h"
#include "ipc/snapshot.h"

#define RECOVER_SOURCES_MAX 64u /* rings remembered, longest silent forgotten first */
#define RECOVER_SNAPSHOT_SOURCES 16u

typedef struct recover_source {
    uint64_t seq;  /* of the last message that is in the journal */
    uint64_t used; /* engine sequence of it, to forget by */
    uint32_t gen;
    uint8_t  source; /* record_source_t; NONE = empty */
    uint8_t  reserved[3];
} recover_source_t;

typedef struct recover_diff { /* the first difference between journal and replay */
    bool     found;
    uint64_t sequence; /* engine sequence */
    uint64_t number;   /* journal record; 0 = one that is missing */
    char     field[64];
    char     text[256];
} recover_diff_t;

typedef struct recover_counts {
    uint64_t inputs;
    uint64_t outputs; /* journaled ones */
    uint64_t first_sequence;
    uint64_t lives; /* BOOTs */
} recover_counts_t;

typedef struct recover {
    engine_t        *engine;
    engine_out_t     out; /* of the newest input */
    snapshot_info_t  from;
    uint64_t         sequence; /* of the newest input */
    uint64_t         record;   /* of the newest record */
    now_t            now;
    int64_t          mono_offset_ns;
    uint32_t         epoch;        /* of the newest BOOT, or of the snapshot; 0 = none ever */
    uint32_t         boot_id_hash; /* of the machine's boot in that life; 0 = not known */
    bool             set_up;       /* the set-up of a new journal is complete: accounts, limits, clock */
    recover_source_t sources[RECOVER_SOURCES_MAX];
    recover_counts_t counts;
    recover_diff_t   diff;

    /* the input whose outputs are being compared */
    uint32_t out_pos;
    uint32_t out_due;
    uint64_t input_number;
    uint64_t input_hash; /* as journaled */
    bool     hash_differs;

    /* the last life's ord ring */
    lossless_reader_t ord;
    uint64_t          ord_first;   /* position that ord.next stands for */
    uint64_t          ord_written; /* messages that it holds or held */
    uint64_t          ord_counted; /* requests that the journal shows in that life */
    uint32_t          ord_epoch;   /* whose ring it is; 0 = none given */
    bool              ord_differs;
    uint32_t          unsent_count;
    order_req_t      *unsent; /* ENGINE_TO_VENUE_MAX */

    void  *arena;
    void  *handle;
    size_t arena_bytes;
} recover_t;

/* recover_open: a fresh arena from a snapshot. id NULL = any journal. Errors of snapshot_head and snapshot_load, ERR_LIMIT
 * (memory), ERR_STATE (the arena is none of this build, or its hash is not the one in the header). */
err_t recover_open(recover_t *r, int snapshot_fd, const journal_id_t *id);
void  recover_close(recover_t *r);

/* recover_ord: the ord ring of the last life, to be compared while replaying. epoch is that of its segment. May be left
 * out. Errors of lossless_reader_join: then there is no ring. */
err_t recover_ord(recover_t *r, const void *ring, size_t bytes, uint32_t epoch);

/* recover_entry: one record of the journal, in order. ERR_OK; ERR_GAP (not the next one); ERR_STATE with r->diff.
 * recover_flush: after the last one: were all its outputs there? */
err_t recover_entry(recover_t *r, const journal_entry_t *entry);
err_t recover_flush(recover_t *r);

/* recover_replay: everything behind the snapshot. page NULL, or where progress and heartbeat go. Errors of the journal,
 * and those above. */
err_t recover_replay(recover_t *r, journal_reader_t *journal, control_page_t *page);

/* After it. recover_position: last journaled message of a ring, 0 = none. recover_orders_unknown: see Sent.
 * recover_boot_id: hash of the running machine's boot id, 0 = it does not say. */
uint64_t recover_position(const recover_t *r, record_source_t source, uint32_t gen);
bool     recover_knows(const recover_t *r, uint32_t gen);
bool     recover_orders_unknown(const recover_t *r);
int64_t  recover_offset(const recover_t *r, int64_t mono_ns, int64_t utc_ns, uint32_t boot_id_hash);
uint32_t recover_boot_id(void);

/* recover_unsent: the report that answers request i of r->unsent; false when nothing waits for one (a query). */
bool recover_unsent(const recover_t *r, uint32_t i, int64_t utc_ns, exec_report_t *out);
