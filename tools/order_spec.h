/* order_spec: an order as it is written on a command line, and the request that it becomes.
 *
 *   SYMBOL SIDE QTY [--limit PX] [--stop PX] ...  ─▶ order_spec_t (texts) ─▶ order_terms_req_t (scaled integers)
 *
 * Exact    prices and quantities in the instrument's scale, on its tick and lot; what is not is refused, with the nearest
 *          values that are. Nothing is rounded, nothing is guessed: options that contradict each other are refused.
 * Type     --limit PX alone is LIMIT, nothing is MARKET, --market-to-limit is that; --stop PX: STOP, with --limit STOP_LIMIT;
 *          --trail DISTANCE: TRAILING_STOP, which begins at --stop PX or at the market; with --limit PX TRAILING_STOP_LIMIT;
 *          --touch PX: MARKET_IF_TOUCHED, with --limit LIMIT_IF_TOUCHED.
 * TIF      where none is written: IOC of MARKET, GTD with --until or an algorithm, else DAY.
 * Times    UTC: "15:30", "15:30:20" (the next one), "2026-01-31T15:30", or from now: "+90m", "+2h".
 * Pure     but for the clock that the caller hands in. Threads: any. */
#pragma once

#include <getopt.h>
#include <stdbool.h>

#include "core/ref/instrument.h"
#include "core/types/err.h"
#include "core/types/msg.h"

typedef struct order_spec {
    const char *symbol;
    const char *side;
    const char *qty;
    const char *limit, *stop, *trail, *touch, *display, *until, *over;
    const char *tif, *trigger, *algo, *slices;
    const char *account, *user_ref;
    bool        post_only, reduce_only, market_to_limit, open, close;
} order_spec_t;

/* The options of one order, for getopt_long; values from ORDER_SPEC_FIRST on. */
#define ORDER_SPEC_FIRST 256
enum {
    ORDER_SPEC_LIMIT = ORDER_SPEC_FIRST,
    ORDER_SPEC_STOP,
    ORDER_SPEC_TRAIL,
    ORDER_SPEC_TOUCH,
    ORDER_SPEC_DISPLAY,
    ORDER_SPEC_UNTIL,
    ORDER_SPEC_OVER,
    ORDER_SPEC_TIF,
    ORDER_SPEC_TRIGGER,
    ORDER_SPEC_ALGO,
    ORDER_SPEC_SLICES,
    ORDER_SPEC_ACCOUNT,
    ORDER_SPEC_USER_REF,
    ORDER_SPEC_POST_ONLY,
    ORDER_SPEC_REDUCE_ONLY,
    ORDER_SPEC_MARKET,
    ORDER_SPEC_MARKET_TO_LIMIT,
    ORDER_SPEC_OPEN,
    ORDER_SPEC_CLOSE,
    ORDER_SPEC_END
};
#define ORDER_SPEC_OPTIONS                                                                                             \
    {"limit", required_argument, NULL, ORDER_SPEC_LIMIT}, {"stop", required_argument, NULL, ORDER_SPEC_STOP},          \
        {"trail", required_argument, NULL, ORDER_SPEC_TRAIL}, {"touch", required_argument, NULL, ORDER_SPEC_TOUCH},    \
        {"display", required_argument, NULL, ORDER_SPEC_DISPLAY},                                                      \
        {"until", required_argument, NULL, ORDER_SPEC_UNTIL}, {"over", required_argument, NULL, ORDER_SPEC_OVER},      \
        {"tif", required_argument, NULL, ORDER_SPEC_TIF}, {"trigger", required_argument, NULL, ORDER_SPEC_TRIGGER},    \
        {"algo", required_argument, NULL, ORDER_SPEC_ALGO}, {"slices", required_argument, NULL, ORDER_SPEC_SLICES},    \
        {"account", required_argument, NULL, ORDER_SPEC_ACCOUNT},                                                      \
        {"user-ref", required_argument, NULL, ORDER_SPEC_USER_REF},                                                    \
        {"post-only", no_argument, NULL, ORDER_SPEC_POST_ONLY},                                                        \
        {"reduce-only", no_argument, NULL, ORDER_SPEC_REDUCE_ONLY}, {"market", no_argument, NULL, ORDER_SPEC_MARKET},  \
        {"market-to-limit", no_argument, NULL, ORDER_SPEC_MARKET_TO_LIMIT},                                            \
        {"open", no_argument, NULL, ORDER_SPEC_OPEN},                                                                  \
    {                                                                                                                  \
        "close", no_argument, NULL, ORDER_SPEC_CLOSE                                                                   \
    }

/* order_spec_option: one answer of getopt_long into spec; false: none of ours. */
bool order_spec_option(order_spec_t *spec, int c, const char *value);

/* order_spec_build: a NEW; identity and ids are left 0. ERR_ARG with a sentence that names option, value and what would do.
 * order_spec_change: what spec names of px, stop_px, trail, display_qty, qty, expire_utc_ns replaces that of *terms. */
err_t order_spec_build(const order_spec_t *spec, const instrument_t *ins, int64_t utc_ns, order_terms_req_t *out);
err_t order_spec_change(const order_spec_t *spec, const instrument_t *ins, int64_t utc_ns, order_terms_req_t *terms);

/* order_spec_plain: can it travel as an ORDER_REQUEST (an order_req_t says all of it)? */
bool order_spec_plain(const order_terms_req_t *terms);

/* order_spec_time: as "Times". */
err_t order_spec_time(const char *text, int64_t utc_ns, int64_t *out);
