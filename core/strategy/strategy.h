/* strategy: the C ABI between the engine and trading logic.
 *
 * A strategy is a table of functions and a block of state of fixed size. The engine owns the state (it lies in the
 * engine's arena, is hashed and is part of a snapshot), so it may hold no pointer and must be zero-initialised plain
 * data. Calls come on the engine thread, in the order of the input records: it must not block, allocate, read a clock
 * or keep a pointer from the context. Integers only.
 *
 *    input record --> book, order state, position --> on_book / on_trade / on_exec / on_tick --> order_new, ... -->
 *    risk --> order state --> output record         (all plain calls; the verdict is back before order_new returns)
 *
 * on_book is called once per complete venue message that may have changed the best prices (a diff, or a quote of the
 * venue's best-quote stream that is newer by update id), and only while the book is LIVE; top() then gives the newer of
 * both. A strategy learns of a broken book by on_feed. Ids and prices are those of msg.h.
 *
 * Limits   STRATEGY_STATE_MAX bytes of state; STRATEGY_ACTIONS_MAX order actions per callback: one more is answered
 *          with 199 and not sent. */
#pragma once

#include "core/ref/instrument.h"
#include "core/types/err.h"
#include "core/types/msg.h"
#include "core/types/time.h"

#define STRATEGY_ABI_VERSION 2u
#define STRATEGY_STATE_MAX 4096u
#define STRATEGY_ACTIONS_MAX 16u
#define STRATEGY_PARAMS_MAX 16u
#define STRATEGY_LIST_SELF UINT64_MAX /* list_id of the first order of a list, whose id is not known yet */

typedef struct strategy_param { /* one setting of the configuration file, already an integer */
    char    name[24];
    int64_t value;
} strategy_param_t;

typedef struct strategy_cfg {
    uint32_t         strategy_id;
    uint32_t         account_id;
    uint32_t         param_count;
    uint32_t         reserved;
    strategy_param_t params[STRATEGY_PARAMS_MAX];
} strategy_cfg_t;

typedef struct strategy_top { /* best prices of a LIVE book; qty 0 where there is none */
    int64_t bid_px, bid_qty, ask_px, ask_qty;
} strategy_top_t;

typedef struct strategy_ctx { /* valid during one callback only */
    uint32_t abi_version;
    uint32_t strategy_id;
    now_t    now;
    void    *host; /* the engine's; opaque */

    /* reading */
    const instrument_t *(*instrument)(const struct strategy_ctx *ctx, uint32_t instrument_id); /* NULL = unknown */
    bool (*top)(const struct strategy_ctx *ctx, uint32_t instrument_id, strategy_top_t *out);  /* false = not LIVE */
    int64_t (*position)(const struct strategy_ctx *ctx, uint32_t instrument_id); /* filled, signed, of this strategy */

    /* acting: the code of risk (0 = accepted and on its way); *cl_ord_id is set in every case */
    uint16_t (*order_new)(const struct strategy_ctx *ctx, const order_req_t *req, uint64_t *cl_ord_id);
    /* order_terms: a NEW with terms (stops, lists, algorithms). 0 = the engine holds it, or it is on its way; what becomes of
     * it comes by on_exec, in reports with EXEC_HELD. order_replace and order_cancel reach it by its id. */
    uint16_t (*order_terms)(const struct strategy_ctx *ctx, const order_terms_req_t *req, uint64_t *cl_ord_id);
    uint16_t (*order_replace)(const struct strategy_ctx *ctx, uint64_t orig_cl_ord_id, int64_t px, int64_t qty);
    uint16_t (*order_cancel)(const struct strategy_ctx *ctx, uint64_t orig_cl_ord_id);
} strategy_ctx_t;

typedef struct strategy_ops {
    const char *name;
    uint32_t    abi_version;
    uint32_t    state_bytes;
    const char *help; /* one line, with its parameters */
    /* ERR_OK or ERR_CONFIG with a sentence naming the parameter */
    err_t (*init)(void *state, const strategy_cfg_t *cfg);
    void (*on_book)(void *state, const strategy_ctx_t *ctx, uint32_t instrument_id);
    void (*on_trade)(void *state, const strategy_ctx_t *ctx, const trade_t *trade);
    void (*on_exec)(void *state, const strategy_ctx_t *ctx, const exec_report_t *report);
    void (*on_feed)(void *state, const strategy_ctx_t *ctx, uint32_t instrument_id, feed_health_t health);
    void (*on_tick)(void *state, const strategy_ctx_t *ctx);
} strategy_ops_t; /* any callback may be NULL, but init may not */

/* strategy_find: built-in by name, NULL when there is none. strategy_at: by index, NULL past the last. */
const strategy_ops_t *strategy_find(const char *name);
const strategy_ops_t *strategy_at(uint32_t index);

/* strategy_param: the value of a parameter, or fallback when it is not set. */
int64_t strategy_param(const strategy_cfg_t *cfg, const char *name, int64_t fallback);
