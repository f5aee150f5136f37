/* hwal.h: libhwal, the way into a live engine for programs of their own: look at everything, send orders through risk.
 *
 *   hwal_attach ─▶ hwal_t ─┬─ hwal_subscribe ─▶ hwal_sub_t ── hwal_next          messages of a broadcast ring, in order
 *                          ├─ hwal_record, hwal_symbol, hwal_role ...            what stands now: books, orders, positions
 *                          └─ hwal_lane_open ─▶ hwal_lane_t ── hwal_lane_order   a way in, with an identity and a quota
 *                                                            ── hwal_lane_terms  with stops, lists, algorithms
 *                                                           ── hwal_lane_check  would this order pass risk?
 *                                                            ── hwal_lane_next   verdicts, executions
 *
 * Observers map memory read-only and poll. The engine knows nothing of them and waits for nobody: a reader that is too
 * slow is told exactly which sequences it lost. Every message is copied, checked against tearing, and verified before it
 * is handed out. Its body is one of the plain C structs of <hwal/msg.h>; `raw` is the same message as the FlatBuffers
 * table that it came as, for readers in other languages (docs/examples/tail.py).
 *
 * Build     cc prog.c $(pkg-config --cflags --libs hwal); add --static for libhwal.a. Man pages: hwal(3).
 * Result    hwal_err_t, HWAL_OK = 0; functions that return a pointer return NULL. HWAL_EMPTY, HWAL_GAP, HWAL_RESTART,
 *           HWAL_AGAIN and HWAL_FULL are answers, not failures. After a failure hwal_error() is the sentence: what was
 *           tried, on what, against which limit.
 * Memory    what hwal_next, hwal_record and hwal_lane_next hand out belongs to the handle, and stands until the next call
 *           of that function on the same handle (hwal_record: with the same kind; hwal_lane_next: or hwal_lane_check).
 *           Handles and nothing else are allocated, in the functions that make them.
 * Threads   a hwal_t, its subscriptions and its records: one thread at a time. A lane: one thread at a time, its own is
 *           fine. Different handles are independent. hwal_error is per thread. Not after fork(): attach in the child.
 * Units     px and qty are int64 in 10^-px_exp and 10^-qty_exp of the instrument; money in 10^-money_exp. hwal_px_parse
 *           and hwal_px_format are exact; nothing here rounds. *_ns is nanoseconds.
 * Names     FIX words, as in <hwal/msg.h>.
 * ABI       libhwal.so.1: structs keep their size, reserved fields are zero until they get a meaning; enums grow at the
 *           end. Engine and library must agree on the layout of memory: HWAL_UNSUPPORTED says when they do not.
 * Limits    HWAL_TOPICS_MAX topics in a filter. Whoever may write the instance's files (its own user) can truncate them,
 *           and a reader then dies of SIGBUS, like with any mapped file: others' files are refused unless they are owned
 *           by the user that was asked for and writable by nobody else. */
#ifndef HWAL_H
#define HWAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef HWAL_IN_TREE /* the library's own build */
#include "core/types/msg.h"
#else
#define HWAL_MSG_TYPES_ONLY
#include <hwal/msg.h>
#endif

#define HWAL_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

#define HWAL_NAME_MAX 39    /* bytes of a name, without the end */
#define HWAL_DECIMAL_MAX 48 /* bytes that a formatted number needs at most, with the end */
#define HWAL_TOPICS_MAX 64

typedef struct hwal      hwal_t;
typedef struct hwal_sub  hwal_sub_t;
typedef struct hwal_lane hwal_lane_t;

typedef enum hwal_err {
    HWAL_OK          = 0,
    HWAL_EMPTY       = 1,  /* nothing there now                                                  */
    HWAL_GAP         = 2,  /* lost: the message says from which sequence to which                */
    HWAL_RESTART     = 3,  /* the writer began anew: sequences begin at 1 again                  */
    HWAL_AGAIN       = 4,  /* the time is over, or the record is just being written              */
    HWAL_FULL        = 5,  /* no room                                                            */
    HWAL_CLOSED      = 6,  /* the lane has ended: hwal_lane_reason                               */
    HWAL_ARG         = 7,  /* an argument out of its range                                       */
    HWAL_NOT_FOUND   = 8,  /* no instance, ring, role, instrument or client of that name         */
    HWAL_EXISTS      = 9,  /* the lane is leased by somebody                                     */
    HWAL_STATE       = 10, /* right call, wrong moment: not yours, or the engine is not running  */
    HWAL_UNSUPPORTED = 11, /* an engine of another release, with another layout                  */
    HWAL_DAMAGED     = 12, /* bytes that are no message: passed over, never believed             */
    HWAL_LIMIT       = 13, /* a maximum was reached                                              */
    HWAL_SCALE       = 14, /* a number finer than the instrument's scale: refused, never rounded */
    HWAL_IO          = 15, /* the operating system said no                                       */
    HWAL_INTERNAL    = 16
} hwal_err_t;

/* ---- about the library ---------------------------------------------------------------------------------------------- */
/* hwal_version: "0.1.0". hwal_error: this thread's last sentence, "" if none; until its next failure.
 * hwal_error_code: of the same failure, for functions that return NULL.
 * hwal_err_name: "NOT_FOUND". hwal_type_name: of a msg_type_t, "BOOK_UPDATE". hwal_code_name: of a verdict's code,
 * "PRICE_NOT_ON_TICK". hwal_reason_name: of a lane_reason_t. All static text, never NULL. */
HWAL_API const char *hwal_version(void);
HWAL_API const char *hwal_error(void);
HWAL_API hwal_err_t  hwal_error_code(void);
HWAL_API const char *hwal_err_name(hwal_err_t err);
HWAL_API const char *hwal_type_name(uint32_t type);
HWAL_API const char *hwal_code_name(uint32_t code);
HWAL_API const char *hwal_reason_name(uint32_t reason);

/* ---- instances ------------------------------------------------------------------------------------------------------ */
/* hwal_list: names of a user's instances, sorted, at most cap are stored; returns how many were. user: name or number,
 * NULL = you. */
HWAL_API uint32_t hwal_list(const char *user, char (*names)[HWAL_NAME_MAX + 1], uint32_t cap);

/* hwal_attach: instance NULL: $HWAL_INSTANCE, else the only one that lives. A dead one can be attached too: it is
 * evidence (hwal_stale). NULL on failure: HWAL_NOT_FOUND (the sentence names those there are) and others.
 * Cost: a listing of its directory and a mapping of each role's file, well below a millisecond.
 * hwal_detach: gives all back, subscriptions too; lanes live on. NULL is fine. */
HWAL_API hwal_t *hwal_attach(const char *instance, const char *user);
HWAL_API void    hwal_detach(hwal_t *h);

/* hwal_instance: its name. hwal_stale: 1 when the engine has been silent for 2 s (or there is none).
 * hwal_damaged: how many messages and records could not be believed so far. */
HWAL_API const char *hwal_instance(const hwal_t *h);
HWAL_API int         hwal_stale(const hwal_t *h);
HWAL_API uint64_t    hwal_damaged(const hwal_t *h);

/* hwal_again: roles that began anew since attaching (a new engine after a crash) have new memory: 1 = it was looked at
 * anew; subscriptions to such a role say HWAL_RESTART next and go on with the new one's oldest message. 0 = all as it
 * was. Call it when nothing came for a while, once a second say. Cost: a listing of the directory. */
HWAL_API int hwal_again(hwal_t *h);

typedef struct hwal_role {
    char     name[24];  /* "engine" */
    char     state[16]; /* BOOT, RECOVERING, RUN, STOPPING, HALT, FAIL; NONE: it shows none */
    int64_t  age_ns;    /* of its last heartbeat; -1 = none yet */
    int32_t  pid;       /* 0 = none */
    uint32_t alive;     /* 1 = the process is there */
    uint32_t gen;       /* of its memory: rises with each start */
    uint32_t epoch;     /* of ClOrdIDs that it works in */
    uint32_t restarts;
    uint32_t reserved;
    uint64_t reserved2[4];
} hwal_role_t;

/* hwal_role: the index-th role of the instance, from 0. HWAL_NOT_FOUND behind the last. */
HWAL_API hwal_err_t hwal_role(const hwal_t *h, uint32_t index, hwal_role_t *out);

/* ---- numbers -------------------------------------------------------------------------------------------------------- */
typedef struct hwal_instrument {
    instrument_def_t def;
    char             symbol[SYMBOL_MAX + 1];
    uint64_t         reserved[4];
} hwal_instrument_t;

/* hwal_instrument: by id, from 1. hwal_symbol: by symbol (letters of either case), or by id in digits where several
 * venues have the symbol. HWAL_NOT_FOUND: none, or several (the sentence names the ids); they look again for instruments
 * that came after attaching before they say so. */
HWAL_API hwal_err_t hwal_instrument(hwal_t *h, uint32_t instrument_id, hwal_instrument_t *out);
HWAL_API hwal_err_t hwal_symbol(hwal_t *h, const char *symbol, hwal_instrument_t *out);

/* Decimal text from and to a scaled integer, exactly: HWAL_SCALE when the text is finer than the scale, HWAL_ARG when it
 * is no number or does not fit. exp 0..18. *_format return out. */
HWAL_API hwal_err_t hwal_decimal_parse(const char *text, int32_t exp, int64_t *out);
HWAL_API char      *hwal_decimal_format(int64_t value, int32_t exp, char out[HWAL_DECIMAL_MAX]);
HWAL_API hwal_err_t hwal_px_parse(const hwal_instrument_t *ins, const char *text, int64_t *px);
HWAL_API hwal_err_t hwal_qty_parse(const hwal_instrument_t *ins, const char *text, int64_t *qty);
HWAL_API char      *hwal_px_format(const hwal_instrument_t *ins, int64_t px, char out[HWAL_DECIMAL_MAX]);
HWAL_API char      *hwal_qty_format(const hwal_instrument_t *ins, int64_t qty, char out[HWAL_DECIMAL_MAX]);

/* ---- messages ------------------------------------------------------------------------------------------------------- */
typedef struct hwal_message {
    uint64_t    seq;       /* ring: its sequence; record: its version, rises with each write; lane: 0          */
    uint64_t    lost_from; /* HWAL_GAP: first and last sequence that are gone. HWAL_RESTART: of the old life,  */
    uint64_t    lost_to;   /* lost_to < lost_from = nothing                                                    */
    uint32_t    type;      /* msg_type_t: which struct body is; one that this library does not know: body is NULL */
    uint32_t    topic;     /* instrument id, 0 = none */
    uint32_t    tenant;    /* whose it is, 0 = everybody's */
    uint32_t    body_len;
    const void *body; /* book_update_t, exec_report_t ... */
    const void *tail; /* level_t of BOOK_UPDATE: bid_count bids, then asks; mbo_entry_t of MBO_UPDATE; tick_band_t of
                         INSTRUMENT_DEF */
    const char *text; /* symbol of INSTRUMENT_DEF, text of LOG; else NULL */
    const void *raw;  /* the FlatBuffers table, ipc/schema/hwal.fbs; root type by `type` */
    uint32_t    tail_count;
    uint32_t    raw_len;
    uint64_t    reserved[6];
} hwal_message_t;

/* hwal_json: a message as JSON text, one line, zero-terminated; field names and enums of the schema, integers with all
 * their digits. HWAL_FULL: cap is too small. *len, if not NULL: bytes of the text (FULL: room needed). */
HWAL_API hwal_err_t hwal_json(const hwal_message_t *m, char *text, size_t cap, size_t *len);

/* ---- rings ---------------------------------------------------------------------------------------------------------- */
typedef struct hwal_ring {
    char     name[32];   /* "ev", "md.sim", "log.engine": for hwal_subscribe */
    char     writer[24]; /* role */
    uint32_t broadcast;  /* 1: can be subscribed; 0: between two roles, shown only */
    uint32_t slots;
    uint32_t stride; /* bytes of a slot */
    uint32_t reserved;
    uint64_t newest; /* last sequence written, 0 = none */
    uint64_t oldest; /* that can still be read; lossless: first that its reader has not taken */
    uint64_t reserved2[4];
} hwal_ring_t;

/* hwal_ring: the index-th ring that is there, from 0. HWAL_NOT_FOUND behind the last. */
HWAL_API hwal_err_t hwal_ring(const hwal_t *h, uint32_t index, hwal_ring_t *out);

typedef enum hwal_start {
    HWAL_OLDEST   = 0, /* what is kept */
    HWAL_NEWEST   = 1, /* what is written from now on */
    HWAL_SEQUENCE = 2  /* from a sequence; if it is gone, a HWAL_GAP tells */
} hwal_start_t;

typedef struct hwal_filter {      /* zeroed = everything, from the oldest on */
    uint32_t        start;        /* hwal_start_t */
    uint32_t        after_loss;   /* HWAL_OLDEST or HWAL_NEWEST: where to go on after a HWAL_GAP */
    uint64_t        sequence;     /* with HWAL_SEQUENCE */
    uint64_t        types;        /* HWAL_TYPE(MSG_TRADE) | ...; 0 = all */
    const uint32_t *topics;       /* instrument ids; copied */
    uint32_t        topics_count; /* 0 = all; at most HWAL_TOPICS_MAX */
    uint32_t        tenant;       /* that one's and everybody's; 0 = all */
    uint64_t        reserved[4];
} hwal_filter_t;

#define HWAL_TYPE(msg_type) (UINT64_C(1) << (msg_type))

/* hwal_subscribe: filter NULL = everything from the oldest on. NULL on failure: HWAL_NOT_FOUND, HWAL_ARG.
 * hwal_unsubscribe: NULL is fine. */
HWAL_API hwal_sub_t *hwal_subscribe(hwal_t *h, const char *ring, const hwal_filter_t *filter);
HWAL_API void        hwal_unsubscribe(hwal_sub_t *sub);

/* hwal_next: the next message that passes the filter. HWAL_OK; HWAL_EMPTY; HWAL_GAP and HWAL_RESTART (see above; lost
 * messages are counted before the filter); HWAL_DAMAGED (one message, passed over). Never waits.
 * Cost: nothing new: one load. A message: a copy and its verification, tens of ns. */
HWAL_API hwal_err_t hwal_next(hwal_sub_t *sub, hwal_message_t *out);

/* ---- records -------------------------------------------------------------------------------------------------------- */
typedef enum hwal_kind {
    HWAL_INSTRUMENTS   = 0,  /* INSTRUMENT_DEF  index: id - 1                                          */
    HWAL_BOOKS         = 1,  /* BOOK_UPDATE     id - 1: best 20 of each side, best first               */
    HWAL_FEEDS         = 2,  /* FEED_STATE      id - 1                                                 */
    HWAL_TRADES        = 3,  /* TRADE           id - 1: the last one                                   */
    HWAL_ORDERS        = 4,  /* ORDER           a row each: open ones and those that ended last        */
    HWAL_POSITIONS     = 5,  /* POSITION        any that was written says which account and instrument */
    HWAL_ACCOUNTS      = 6,  /* ACCOUNT         account id - 1                                         */
    HWAL_STATISTICS    = 7,  /* STATISTICS      instrument id - 1: its trading day so far              */
    HWAL_HELD          = 8,  /* HELD_ORDER      a row each: orders that the engine holds or works      */
    HWAL_BALANCES      = 9,  /* BALANCE         any that was written says which account and currency   */
    HWAL_SUB_POSITIONS = 10, /* SUB_POSITION    likewise account, instrument, strategy and side      */
    HWAL_ALERTS        = 11, /* ALERT           open ones and those acknowledged last                  */
    HWAL_VENUES        = 12, /* VENUE_DEF       venue id - 1                                              */
    HWAL_KINDS         = 13
} hwal_kind_t;

/* hwal_record_count: places there are; 0 = none of this kind. hwal_record: what stands in one now. HWAL_OK; HWAL_EMPTY
 * (never written); HWAL_AGAIN (its writer is at it, or died there); HWAL_DAMAGED; HWAL_ARG (no such place). Records are
 * consistent one by one: for a cut through all of them follow ev. */
HWAL_API uint32_t   hwal_record_count(hwal_t *h, uint32_t kind);
HWAL_API hwal_err_t hwal_record(hwal_t *h, uint32_t kind, uint32_t index, hwal_message_t *out);

/* ---- counters and latencies ----------------------------------------------------------------------------------------- */
typedef struct hwal_counter {
    char     name[32]; /* "md_messages" */
    char     unit[16];
    char     help[136];
    uint64_t value;
    uint32_t gauge; /* 1 = it goes up and down; 0 = it only rises */
    uint32_t reserved;
    uint64_t reserved2[4];
} hwal_counter_t;

/* hwal_counter: the index-th counter of a role, from 0, as the role itself names it. HWAL_NOT_FOUND: no such role, or
 * behind the last. */
HWAL_API hwal_err_t hwal_counter(const hwal_t *h, const char *role, uint32_t index, hwal_counter_t *out);

typedef struct hwal_histogram {
    char     name[32]; /* "event": from an input's receipt to the end of its work */
    char     role[24];
    char     unit[16];
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t max_seq; /* sequence of the event that was the maximum; 0 = not known */
    uint64_t reserved[4];
} hwal_histogram_t;

/* hwal_histogram: the index-th histogram of the instance, from 0, and of one and the same copy of it the values at n
 * quantiles, in millionths (500000 = median); 3 significant digits. HWAL_NOT_FOUND behind the last. */
HWAL_API hwal_err_t hwal_histogram(hwal_t *h, uint32_t index, const uint32_t *millionths, uint64_t *values, uint32_t n,
                                   hwal_histogram_t *out);

/* ---- lanes ---------------------------------------------------------------------------------------------------------- */
/* A lane is leased from a running instance under a client's name of its configuration (`lanes.clients`), by one process
 * at a time. It has an identity that it cannot change (tenant, strategy, accounts, rights) and a quota. Nothing leaves
 * without passing risk. When the process ends, by hwal_lane_close or by death, the lane is closed and its open orders are
 * cancelled, or stay, as the configuration says. An engine that starts anew ends all leases.
 *
 * hwal_lane_open: wait_ns: how long at most. NULL on failure: HWAL_NOT_FOUND (no such client), HWAL_EXISTS (leased: the
 * sentence names the pid), HWAL_STATE (not yours, engine not running), HWAL_AGAIN (time is over) and others. h is looked
 * at anew when the engine is another one by now (hwal_again); the lane does not need it afterwards.
 * hwal_lane_close: gives it back. NULL is fine. */
HWAL_API hwal_lane_t *hwal_lane_open(hwal_t *h, const char *client, int64_t wait_ns);
HWAL_API void         hwal_lane_close(hwal_lane_t *lane);

/* hwal_lane_identity: who one is, as the engine said at the start. hwal_lane_reason: LANE_REASON_NONE while it is open;
 * else why it ended. */
HWAL_API hwal_err_t hwal_lane_identity(const hwal_lane_t *lane, lane_t *out);
HWAL_API uint32_t   hwal_lane_reason(const hwal_lane_t *lane);

/* hwal_lane_order: send a request: action NEW, REPLACE or CANCEL and what it needs (msg.h). Filled in here: cl_ord_id, a
 * new one each time (order->cl_ord_id tells it); tenant, strategy; account, when it is 0 and the lane has just one;
 * created_mono_ns, the engine's clock, when it is 0. For REPLACE and CANCEL orig_cl_ord_id is the order's id, and
 * instrument and account must be its own. HWAL_OK means sent; the answer is a VERDICT by hwal_lane_next, and EXEC_REPORTs
 * after it. HWAL_FULL: the engine has not taken what was sent before; HWAL_CLOSED; HWAL_ARG. Cost: a write of two lines of
 * memory and, when the engine sleeps, a system call. */
HWAL_API hwal_err_t hwal_lane_order(hwal_lane_t *lane, order_req_t *order);

/* hwal_lane_terms: the same of an order with terms: stops, lists, algorithms. With a contingency and list_id 0 it is the
 * first of its list: list_id becomes its own ClOrdID, which the others of the list must name.
 * hwal_lane_mass_cancel: cancel all orders of a scope, 0 = any; without LANE_RIGHT_OPERATE the lane's own. Filled in:
 * request_id, which the one VERDICT that answers has as its cl_ord_id; observed = orders in scope.
 * hwal_lane_limit: one step of a change of limits, or the question for a scope (LIMIT_STEP_GET), answered by AUDITs.
 * hwal_lane_operate: a CONTROL in the name of the user of this process. reason: 1 to REASON_MAX bytes, whatever is done.
 * hwal_lane_size: how large may an order be, answered by a SIZE_RESPONSE.
 * Results as hwal_lane_order; what was filled in stands in the struct only when it was sent. */
HWAL_API hwal_err_t hwal_lane_terms(hwal_lane_t *lane, order_terms_req_t *order);
HWAL_API hwal_err_t hwal_lane_mass_cancel(hwal_lane_t *lane, mass_cancel_t *request);
HWAL_API hwal_err_t hwal_lane_limit(hwal_lane_t *lane, const limit_change_t *change, const char *reason);
HWAL_API hwal_err_t hwal_lane_operate(hwal_lane_t *lane, const operate_t *operate, const char *reason);
HWAL_API hwal_err_t hwal_lane_size(hwal_lane_t *lane, const size_req_t *req);

/* hwal_lane_check: would a NEW order like this pass risk now, and if not, how much of it would? Nothing is sent,
 * reserved or written to the journal. Waits for the answer, spinning for a while and then asleep, at most timeout_ns;
 * what else comes meanwhile is kept for hwal_lane_next. HWAL_OK; HWAL_AGAIN (time is over: the answer comes by
 * hwal_lane_next); HWAL_FULL (hwal_lane_next has not been called for too long); HWAL_CLOSED.
 * hwal_lane_ask: the same without waiting: the answer is a RISK_CHECK_RESPONSE by hwal_lane_next; in their order.
 * account_id as above. */
HWAL_API hwal_err_t hwal_lane_check(hwal_lane_t *lane, const risk_check_req_t *req, risk_check_resp_t *out,
                                    int64_t timeout_ns);
HWAL_API hwal_err_t hwal_lane_ask(hwal_lane_t *lane, const risk_check_req_t *req);

/* hwal_lane_next: the next answer: VERDICT of each request in their order, EXEC_REPORT of the strategy's orders as
 * booked (also of those that the engine holds, and of the slices that it sends for them), AUDIT of what the lane changed or
 * asked for, SIZE_RESPONSE, LANE when it closes. HWAL_OK; HWAL_EMPTY; HWAL_CLOSED (and all answers were read); HWAL_DAMAGED. An answer that
 * is not fetched stays; when there is no more room for them the engine closes the lane.
 * hwal_lane_wait: until there is one: spins spin_ns, then sleeps, at most timeout_ns in all. HWAL_OK; HWAL_AGAIN;
 * HWAL_CLOSED. That an engine died without a word is found out here, after having waited in vain, and by
 * hwal_lane_reason: who polls hwal_lane_next alone asks now and then. */
HWAL_API hwal_err_t hwal_lane_next(hwal_lane_t *lane, hwal_message_t *out);
HWAL_API hwal_err_t hwal_lane_wait(hwal_lane_t *lane, int64_t spin_ns, int64_t timeout_ns);

#ifdef __cplusplus
}
#endif

#endif
