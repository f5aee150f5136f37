/* venue: what a venue's market-data codec is for everyone else.
 *
 *   frame text ──▶ decode ──▶ sink.reserve ▸ built in place ▸ sink.commit ──▶ BOOK_UPDATE, TRADE, TOP, FEED_STATE
 *
 * A codec turns the venue's words into the messages of core/types/msg.h. This is the only place where the text of a
 * price becomes an integer, and the only place that knows the venue's rules (how a book is synchronised, what a missing
 * sequence number is). Nobody includes a venue's folder: a codec is found by name and used through this table.
 *
 * Owner    one codec object serves one connection (or one set of capture files of one market) and its feeds; a symbol
 *          names one feed in it. Spot and futures of one symbol are two connections, so two codec objects. The object
 *          is private to its process: pointers to the sink lie in it, so it is no snapshot.
 * Threads  one. decode never blocks, allocates or reads a clock: the receive time comes with the frame.
 * Order    messages of one frame are committed before decode returns, in the order in which they must be applied.
 *          Parts of one BOOK_UPDATE follow each other without another message between them, except that a FEED_STATE
 *          with health BROKEN may cut them short: a book that got FIRST without LAST is then broken, not stale.
 * Errors   decode: a sentence that names feed and key. The frame is dropped, the object stays usable, and what its
 *          loss means for a book has been said by a FEED_STATE message before decode returns.
 * Limits   VENUE_FEEDS_MAX feeds an object; a part has at most BOOK_UPDATE_MAX_LEVELS levels. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"
#include "core/types/msg.h"

#define VENUE_FEEDS_MAX 1024u
#define VENUE_PENDING_PARTS_MAX 65536u

/* ---- where messages go ------------------------------------------------------------------------------------------- */
typedef struct md_slot { /* memory for one message: a ring slot, or an md_buf_t */
    void    *body;       /* room for the struct of the type asked for, 8-aligned                     */
    level_t *levels;     /* BOOK_UPDATE: room for BOOK_UPDATE_MAX_LEVELS; else not looked at          */
} md_slot_t;

/* reserve  gives room for one message of that type; it cannot fail (a market-data ring never waits). A second reserve
 *          without a commit between gives the same room again: a message that turned out bad is simply not committed.
 * commit   the message is complete: msg->body and msg->tail are the pointers that reserve gave. */
typedef struct md_sink {
    void *ctx;
    md_slot_t (*reserve)(void *ctx, msg_type_t type);
    void (*commit)(void *ctx, const msg_t *msg);
} md_sink_t;

typedef struct md_buf { /* a slot in plain memory, for sinks that consume at once and for kept messages */
    union {
        book_update_t book;
        trade_t       trade;
        top_t         top;
        feed_state_t  feed;
    } body;
    level_t levels[BOOK_UPDATE_MAX_LEVELS];
} md_buf_t;

/* ---- what a codec is told ---------------------------------------------------------------------------------------- */
typedef struct feed_ref { /* one subscribed instrument */
    uint32_t instrument_id;
    uint8_t  kind; /* instrument_kind_t: the market, and with it the venue's synchronisation rule */
    int8_t   px_exp;
    int8_t   qty_exp;
    uint8_t  reserved;
    char     symbol[SYMBOL_MAX + 1]; /* the venue's, in the case of its payloads ("BTCUSDT") */
} feed_ref_t;

typedef struct venue_codec_cfg {
    uint32_t  feeds_max;     /* 1..VENUE_FEEDS_MAX */
    uint32_t  pending_parts; /* BOOK_UPDATE parts kept per feed while it waits for a snapshot (1,088 bytes each);
                               1..VENUE_PENDING_PARTS_MAX, 0 = 1,024: more than ten seconds of a busy market */
    md_sink_t sink;
} venue_codec_cfg_t;

typedef struct md_frame { /* one text as the venue sent it: a stream frame or a REST reply */
    const char *text;     /* exactly text[0..len) is read */
    size_t      len;
    int64_t     ts_recv_ns;
    uint32_t    instrument_id; /* whose REST snapshot this is if the text names no symbol; 0 = not known */
    uint32_t    reserved;
} md_frame_t;

/* ---- what a codec counts ----------------------------------------------------------------------------------------- */
typedef struct feed_stats {   /* diffs == diffs_applied + diffs_dropped + diffs_pending, always */
    uint64_t diffs;           /* book diffs that could be read                                                   */
    uint64_t diffs_buffered;  /* kept at first because no snapshot was there                                     */
    uint64_t diffs_dropped;   /* older than the snapshot or repeated, or the oldest kept when the room was full  */
    uint64_t diffs_applied;   /* sent on as BOOK_UPDATE, whole                                                   */
    uint64_t diffs_pending;   /* kept now                                                                        */
    uint64_t gaps;            /* jumps of the venue's book sequence                                              */
    uint64_t snapshots;       /* sent on as BOOK_UPDATE with SNAPSHOT                                            */
    uint64_t snapshots_stale; /* not used: older than the kept diffs, or than the book                           */
    uint64_t trades;          /* sent on                                                                         */
    uint64_t trades_repeated; /* id not above the newest: not sent on                                            */
    uint64_t trades_off_book; /* insurance fund and the like: not sent on                                        */
    uint64_t trade_gaps;      /* jumps of the trade id                                                           */
    uint64_t tops;            /* sent on                                                                         */
    uint64_t garbled;         /* frames of this feed that could not be read or used                              */
    uint64_t off_scale;       /* frames with a price or quantity finer than the feed's scale, or too large       */
    uint64_t last_update_id;  /* the venue's id up to which the book was sent on; 0 = none yet                   */
    uint64_t last_trade_id;
    uint64_t rpt_seq; /* of the newest BOOK_UPDATE part                                                  */
    uint32_t health;  /* feed_health_t: NONE until the first snapshot, LIVE, RECOVERING                  */
    uint32_t reserved;
} feed_stats_t;

typedef struct codec_stats {
    uint64_t frames;     /* given to decode                                                             */
    uint64_t ignored;    /* streams of another kind or of a symbol without a feed; valid text           */
    uint64_t unassigned; /* errors that belong to no feed: unreadable envelope or snapshot, or nobody's */
    uint64_t unforeseen; /* frames whose order of keys was not the predicted one: right, but slower     */
} codec_stats_t;

/* ---- the table --------------------------------------------------------------------------------------------------- */
typedef struct venue_codec {
    const char *name;

    size_t (*align)(void);
    size_t (*footprint)(const venue_codec_cfg_t *cfg);        /* 0 and a sentence when cfg is out of range  */
    void *(*create)(void *mem, const venue_codec_cfg_t *cfg); /* the object, or NULL and a sentence         */

    /* feed_add: ERR_ARG (exponent, kind, symbol), ERR_EXISTS (symbol or id), ERR_LIMIT (feeds_max). */
    err_t (*feed_add)(void *codec, const feed_ref_t *ref);

    /* decode: one frame.
     *   ERR_OK           what it held was committed, kept for later, or is of a kind that we ignore
     *   ERR_PARSE        not the venue's grammar            ERR_SCALE, ERR_RANGE  a number that does not fit the feed
     *   ERR_GAP          the venue's sequence jumped; FEED_STATE says which ids; a new snapshot is needed
     *   ERR_STATE        a snapshot older than the diffs that wait for it: fetch another
     *   ERR_NOT_FOUND    a snapshot without a feed          ERR_UNSUPPORTED       no frame of this venue
     * Cost: one pass over the text; no allocation. */
    err_t (*decode)(void *codec, const md_frame_t *frame);

    /* lost: someone else knows that data of this feed (0 = of every feed) were lost, or that its book is wrong: a text
     * that could not even be had, a cut capture, a book found crossed or off the tick grid by its keeper. Each such
     * feed that was LIVE commits FEED_STATE BROKEN with that reason and ids 0, and waits for a new snapshot
     * (RECOVERING); one that waits already, or is not known, does nothing. Not from within the sink. */
    void (*lost)(void *codec, uint32_t instrument_id, feed_reason_t reason, int64_t ts_recv_ns);

    const feed_stats_t *(*feed_stats)(const void *codec, uint32_t instrument_id); /* NULL = no such feed */
    const codec_stats_t *(*stats)(const void *codec);
} venue_codec_t;

/* venue_codec_find: by name ("binance"); NULL when there is none. */
const venue_codec_t *venue_codec_find(const char *name);
