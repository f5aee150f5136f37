/* held: orders that the engine itself keeps or works for their owner, and the orders that leave for them.
 *
 *   ORDER_TERMS_REQUEST ─▶ a row ── waits ──▶ leaves ──▶ slices: orders of the order table (core/order/order.h)
 *                          stop, list, session, time     a stop, a list's child: one, with the row's own ClOrdID;
 *                                                        an algorithm: many, with ids of the engine's own
 *
 * This is the table only: rows, who is where, when is what due. It decides nothing; core/engine/engine_held.c does.
 *
 * Rows      held_cfg_t.rows_max. A row lives until held_close(); then it is kept, for late fills, readers and late members
 *           of its list, until its place is needed: longest closed first, but none of whose list a row lives.
 * Slices    held_cfg_t.slices_max: which order works for which row, and how much of its fills the row has counted; so the
 *           row's cum_qty and px_qty are the sums over its slices, exactly, whatever comes late, is undone or corrected.
 *           A slice that held_slice_end() ended is kept likewise for late fills: longest ended first.
 * Watched   rows that wait for a price, by instrument. Due: rows that wait for a time, soonest first (a heap; of equal
 *           times the row that was opened first).
 * Lists     rows of one list_id, in the order in which they came; the head is the one whose ClOrdID it is.
 *
 * Memory    one arena of the caller's; row numbers, no pointers: its bytes are its snapshot, and held_hash() is the hash
 *           of those bytes (no padding, everything zeroed by new).
 * Threads   one writer, the engine thread. Units: as order.h; times UTC nanoseconds.
 * Errors    none but of set-up. Cost: O(1) where nothing else is said. */
#pragma once

#include <stdbool.h>

#include "core/order/order.h"

#define HELD_NONE UINT32_MAX /* no row, no slice */
#define HELD_ROWS_MAX (1u << 22)

typedef struct held_cfg {
    uint32_t rows_max;   /* 1 .. HELD_ROWS_MAX        */
    uint32_t slices_max; /* rows_max .. HELD_ROWS_MAX */
    uint32_t instruments_max;
    uint32_t reserved;
} held_cfg_t;

typedef enum held_stage { /* what it waits for */
                          HELD_STAGE_NONE = 0,
                          HELD_STAGE_LIST,    /* fills of its list's first order                          */
                          HELD_STAGE_SESSION, /* the opening or closing auction                           */
                          HELD_STAGE_TRIGGER, /* a price: it is watched                                   */
                          HELD_STAGE_READY,   /* nothing but a moment in which it may leave               */
                          HELD_STAGE_OUT,     /* it has left; what is to leave leaves as soon as it may   */
                          HELD_STAGE_DONE
} held_stage_t;

enum {                       /* held_t.flags */
       HELD_TRIGGERED = 1,   /* its price was reached                                             */
       HELD_ENDING    = 2,   /* nothing leaves any more: it ends as end_as when no slice is open  */
       HELD_KEPT_ID   = 4,   /* a slice has its ClOrdID                                           */
       HELD_CLEARING  = 8,   /* its slices are being cancelled, for it is to leave again          */
       HELD_AUCTION   = 16,  /* its slices belong to an auction and end with it                   */
       HELD_ALONE     = 32,  /* its list's other orders are to be dead before it leaves           */
       HELD_TOLD      = 64,  /* a person was told why it cannot leave                             */
       HELD_SLOT      = 128, /* an algorithm's slot has come and its slice has not left           */
       HELD_STARTED   = 256, /* an algorithm runs: start_utc_ns is when it began                  */
       HELD_REST      = 512, /* MARKET_TO_LIMIT: the rest rests, at px                            */
       HELD_YIELDED   = 1024 /* what orders that it crossed had came off it, and these are cancelled */
};

typedef struct held {
    order_terms_req_t terms;  /* as they stand: REPLACE changes them, of TRAILING_* stop_px and px follow the market */
    i128_t            px_qty; /* sum of px * qty of its fills: AvgPx = px_qty / cum_qty    */
    int64_t           cum_qty;
    int64_t           free_qty;     /* of terms.qty, what its list lets leave                    */
    int64_t           due_utc_ns;   /* in the heap while heap_at != 0                        */
    int64_t           start_utc_ns; /* when it came: of TWAP and VWAP the beginning          */
    uint64_t          opened;       /* how many rows were opened before it, and itself       */
    int64_t           wait_utc_ns;  /* not before this is anything tried again; 0 = no wait   */
    uint32_t          heap_at;      /* place in the heap + 1                                 */
    uint32_t          watch_prev, watch_next;
    uint32_t          list_head; /* row; HELD_NONE = in no list                              */
    uint32_t          list_next;
    uint32_t          list_live;          /* of the head: rows of the list that live                  */
    uint32_t          age_prev, age_next; /* living ones, newest first; or closed ones, longest closed first */
    uint32_t          slices;             /* newest first                                             */
    uint32_t          open_slices;
    uint32_t          slot;    /* of an algorithm: the next one                            */
    uint32_t          denials; /* in a row                                                 */
    uint16_t          code;    /* risk code of the newest denial                           */
    uint8_t           stage;   /* held_stage_t */
    uint8_t           ord_status;
    uint8_t           end_as; /* ord_status_t */
    uint8_t           watched;
    uint16_t          flags;     /* HELD_* */
    int64_t           whole_qty; /* of a child that was cut short: its quantity before; 0 = it was not */
} held_t;

_Static_assert(sizeof(held_t) == 256, "four lines, no padding: the arena is hashed as bytes");

typedef struct held_slice {
    uint64_t cl_ord_id; /* of an order of the order table */
    uint32_t row;
    uint32_t prev;     /* of the same row: newer, */
    int64_t  cum_qty;  /* of it, counted in the row */
    int64_t  want_qty; /* its total as asked for last */
    i128_t   px_qty;
    uint32_t next;               /*                  older  */
    uint32_t age_prev, age_next; /* ended ones, longest ended first */
    uint8_t  open;
    uint8_t  shrinking; /* a REPLACE to want_qty is under way */
    uint8_t  reserved[2];
} held_slice_t;

_Static_assert(sizeof(held_slice_t) == 64, "a line, no padding");

typedef struct held_table held_table_t;

/* Life cycle, as order.h's. */
size_t        held_align(void);
size_t        held_footprint(const held_cfg_t *cfg);
void         *held_new(void *mem, const held_cfg_t *cfg);
held_table_t *held_join(void *mem);

/* held_room: can one more row be opened in this list (HELD_NONE: in none, or as a head)? held_open: a row for these
 * terms, living, in stage NONE, free_qty 0, in the list
 * that list_id names: list_head must be that list's row, or HELD_NONE where the row is a head itself or in no list. Needs
 * held_room(); cl_ord_id new. held_close: stage DONE, ord_status = as; it leaves watch, heap and the living; no slice of it is
 * open. */
bool     held_room(const held_table_t *table, uint32_t list_head);
uint32_t held_open(held_table_t *table, const order_terms_req_t *terms, uint32_t list_head, int64_t utc_ns);
void     held_close(held_table_t *table, uint32_t row, ord_status_t as);

/* held_slice_room, held_slice_open: the order cl_ord_id, of qty, leaves for the row. held_slice_end: it is closed.
 * held_slice_count: what the row counts of it is now cum_qty, px_qty; the row's sums move by the difference. */
bool     held_slice_room(const held_table_t *table);
uint32_t held_slice_open(held_table_t *table, uint32_t row, uint64_t cl_ord_id, int64_t qty);
void     held_slice_end(held_table_t *table, uint32_t slice);
void     held_slice_count(held_table_t *table, uint32_t slice, int64_t cum_qty, i128_t px_qty);

/* held_watch: into or out of the list of its instrument. held_due: due at utc_ns; 0 = never. O(log rows). */
void held_watch(held_table_t *table, uint32_t row, bool watched);
void held_due(held_table_t *table, uint32_t row, int64_t utc_ns);

/* Reading. held_at, held_slice_at: what may be changed of them is what no function here keeps. held_find: row of a ClOrdID.
 * held_slice_find: slice of an order's ClOrdID. held_due_first: the row that is due first; held_first, held_next: living
 * ones, newest first; held_watch_first, _next: of an instrument; held_list_next: of its list, from the head. HELD_NONE: none. */
held_t             *held_at(held_table_t *table, uint32_t row);
const held_t       *held_peek(const held_table_t *table, uint32_t row);
held_slice_t       *held_slice_at(held_table_t *table, uint32_t slice);
const held_slice_t *held_slice_peek(const held_table_t *table, uint32_t slice);
uint32_t            held_find(const held_table_t *table, uint64_t cl_ord_id);
uint32_t            held_slice_find(const held_table_t *table, uint64_t cl_ord_id);
uint32_t            held_due_first(const held_table_t *table);
uint32_t            held_first(const held_table_t *table);
uint32_t            held_next(const held_table_t *table, uint32_t row);
uint32_t            held_watch_first(const held_table_t *table, uint32_t instrument_id);
uint32_t            held_watch_next(const held_table_t *table, uint32_t row);
uint32_t            held_count(const held_table_t *table); /* living rows                                        */
uint32_t            held_rows(const held_table_t *table);  /* rows ever used: held_at takes 0 .. held_rows() - 1 */

/* held_hash: the whole table, O(footprint). */
uint64_t held_hash(uint64_t hash, const held_table_t *table);
