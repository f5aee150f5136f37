/* dbn: records of a Databento file (DBN versions 1, 2, 3; plain or zstd, known by the first bytes), one after the other.
 *
 *     file ─ [zstd] ─ "DBN" version len | metadata | record | record | ...
 *
 * A record is decoded into the same struct whatever the version: definitions of all three have moved fields and wider
 * symbols; nothing else that is decoded here differs.
 *
 * Owner    the caller; one thread. dbn_open allocates (the reader, the metadata, the state of zstd), dbn_next does not,
 *          dbn_close frees. Regular files only.
 * Units    px: 10^-9, DBN_PX_NONE = no price. Times: ns since the Unix epoch, DBN_TS_NONE = no time. Quantities as the venue
 *          counts them.
 * Errors   name file, byte (of the stream after zstd) and field. The first ends the stream: later calls say it again.
 *            ERR_TRUNCATED    ends within head, metadata, record or zstd frame, or is empty
 *            ERR_PARSE        no DBN, a length that does not fit its type, a text without its end, an action or side that
 *                             does not exist, bad zstd data
 *            ERR_RANGE        a time beyond int64
 *            ERR_UNSUPPORTED  another version; no regular file
 *            ERR_LIMIT        metadata over DBN_METADATA_MAX
 *            ERR_IO           the file cannot be opened or read
 *          DBN does not say how many records there are: a plain file that is cut between two of them looks whole.
 * Source   Databento's DBN documentation and the record layouts of its reference implementation, read 2026-11. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/book/mbo.h"
#include "core/types/err.h"

#define DBN_METADATA_MAX (16u << 20)
#define DBN_PX_NONE INT64_MAX
#define DBN_TS_NONE INT64_C(-1)
#define DBN_LEVELS_MAX 10
enum { DBN_FLAG_LAST = 128, DBN_FLAG_SNAPSHOT = 32 }; /* last of an event; from a snapshot, not an event */

typedef enum dbn_kind {
    DBN_OTHER = 0, /* a type that is not decoded: only the head is there, the caller decides */
    DBN_MBO,
    DBN_TRADE, /* mbp without levels */
    DBN_MBP,   /* 1 or 10 levels; TBBO has 1 */
    DBN_OHLCV,
    DBN_DEFINITION
} dbn_kind_t;

typedef struct dbn_meta {
    uint8_t     version;
    uint8_t     stype_in; /* what kind of symbols were asked for; 255 = mixed */
    uint8_t     stype_out;
    bool        ts_out; /* records carry the time at which they were sent */
    uint16_t    schema; /* 65535 = mixed */
    uint16_t    symbol_len;
    const char *dataset; /* "GLBX.MDP3" */
    int64_t     start_ns;
    int64_t     end_ns;
    uint64_t    limit; /* of records asked for, 0 = none */
    uint32_t    symbol_count, partial_count, not_found_count, mapping_count;
} dbn_meta_t;

typedef struct dbn_mbo {
    uint64_t order_id;
    int64_t  px;
    uint32_t qty;
    uint32_t sequence;
    int64_t  ts_recv_ns;
    int32_t  ts_in_delta_ns; /* ts_recv - when the venue sent it */
    uint8_t  flags;
    uint8_t  channel;
    char     action; /* Add Cancel Modify cleaR Trade Fill None */
    char     side;   /* Bid Ask None */
} dbn_mbo_t;

typedef struct dbn_level {
    int64_t  bid_px, ask_px;
    uint32_t bid_qty, ask_qty;
    uint32_t bid_count, ask_count; /* orders */
} dbn_level_t;

typedef struct dbn_mbp { /* trades and market by price */
    int64_t     px;
    uint32_t    qty;
    uint32_t    sequence;
    int64_t     ts_recv_ns;
    int32_t     ts_in_delta_ns;
    uint8_t     flags;
    uint8_t     depth; /* level that was touched */
    char        action;
    char        side;
    uint32_t    level_count; /* 0, 1, 10 */
    dbn_level_t levels[DBN_LEVELS_MAX];
} dbn_mbp_t;

typedef struct dbn_ohlcv {
    int64_t  open_px, high_px, low_px, close_px;
    uint64_t volume;
} dbn_ohlcv_t;

typedef struct dbn_definition {
    int64_t ts_recv_ns;
    int64_t min_px_increment; /* tick */
    int64_t display_factor;
    int64_t expiration_ns;
    int64_t activation_ns;
    int64_t high_limit_px;
    int64_t low_limit_px;
    int64_t unit_of_measure_qty; /* 10^-9 */
    int64_t strike_px;
    int32_t contract_multiplier; /* INT32_MAX = none */
    int32_t lot;                 /* round lot */
    char    currency[5];
    char    settl_currency[5];
    char    symbol[72];
    char    exchange[6];
    char    asset[12];
    char    security_type[8];
    char    underlying[22];
    char    instrument_class;
    char    update_action;
} dbn_definition_t;

typedef struct dbn_record {
    dbn_kind_t kind;
    uint8_t    rtype; /* as in the file */
    uint16_t   publisher_id;
    uint32_t   instrument_id;
    int64_t    ts_event_ns;
    int64_t    ts_out_ns; /* DBN_TS_NONE when the file has none */
    uint64_t   offset;    /* of its first byte */
    union {
        dbn_mbo_t        mbo;
        dbn_mbp_t        mbp;
        dbn_ohlcv_t      ohlcv;
        dbn_definition_t definition;
    };
} dbn_record_t;

typedef struct dbn dbn_t;

/* dbn_open: open path and read its metadata. ERR_OK and *out; else see Errors, nothing is left open. path must stay valid
 * until dbn_close. */
err_t dbn_open(const char *path, dbn_t **out);

/* dbn_next: the next record. ERR_OK; ERR_END (no sentence); else see Errors. *record is whole only with ERR_OK. */
err_t dbn_next(dbn_t *dbn, dbn_record_t *record);

void dbn_close(dbn_t *dbn);

/* dbn_meta: good until dbn_close. */
const dbn_meta_t *dbn_meta(const dbn_t *dbn);

/* dbn_symbol: the symbol that the metadata maps to this instrument id on some day; NULL when none. O(mappings). */
const char *dbn_symbol(const dbn_t *dbn, uint32_t instrument_id);

/* dbn_book: fold one MBO record into the book of its instrument; DBN_MBO only.
 *   A inserts at the tail, in place of an order of that id (a snapshot may repeat what stands); C takes its quantity away;
 *   M sets price and quantity; R clears. T, F, N do not touch the book.
 *   A snapshot's order on a BROKEN book clears it first. Clear and snapshot end with the first record flagged LAST: LIVE.
 * Returns ERR_OK; ERR_PARSE (A, C or M without a side: BROKEN/GARBLED); what mbo_add, mbo_reduce, mbo_modify return. */
err_t dbn_book(mbo_t *mbo, const dbn_record_t *record);
