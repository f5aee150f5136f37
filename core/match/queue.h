/* queue: where a resting order of ours stands among strangers whose single orders we do not see (market by price, L2):
 * what a decrease of its level says of the quantity ahead.
 *
 *      front of the queue                                           tail
 *      ├────────── ahead ──────────┤ us ├────────── back ──────────┤      level quantity (strangers') = ahead + back
 *
 * Trades at our price come from the front: the venue takes them off `ahead` when they are told. What a level then lost
 * beyond its trades was cancelled, ahead of us or behind us; a model is the share of it that was behind:
 *
 *      risk_averse     1          all behind, unless there was not so much: ahead only shrinks when it must
 *      prob_power:N    f(b) / (f(f') + f(b))      f(x) = x^N          f' = ahead, b = back
 *      prob_power2:N   f(b) / f(f' + b)           f(x) = x^N
 *      prob_power3:N   1 - f(f' / (f' + b))       f(x) = x^N
 *      prob_log        f(b) / (f(f') + f(b))      f(x) = ln(1 + x)    x in whole units (coins, contracts)
 *      prob_log2       f(b) / f(f' + b)           f(x) = ln(1 + x)
 *      optimistic      0          all ahead: a bound, nobody's belief
 *      l3              not a guess: the market is by order (MBO_UPDATE) and sim_venue counts our place; with a market by
 *                      price it is risk_averse
 *
 * The part that is behind is never more than stands there: the rest was ahead. N is whole, 1..QUEUE_POWER_MAX.
 *
 * Rounding  against us: shares behind are rounded up to 2^-32, what leaves the front down to a whole unit of quantity. No
 *           floating point: powers and logarithms in 64-bit fixed point, powers within 2^-40 of
 *           themselves, logarithms within 2^-53, either rounded so that more is behind.
 * Wrong     every one of them: cancels are not independent of the place (an order at the front is cancelled less often),
 *           large orders move more than small ones, hidden quantity is not seen, and a decrease that nets an addition
 *           against a cancel looks smaller than the cancel was. Calibrate N against own fills before believing any.
 * Pure      plain functions, no state.  Cost: risk_averse, optimistic ~2 ns, powers ~10 ns, logarithms ~200 ns.
 * Source    the models and their names follow hftbacktest's documentation ("Order Fill", queue models), which follows E.
 *           Rigtorp's estimator; taken are the formulas. There the back is counted before the trades that came since, here
 *           after them: what was traded cannot be cancelled as well. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/types/err.h"

#define QUEUE_POWER_MAX 16u
#define QUEUE_TEXT_MAX 24u /* of queue_text, its end included */

typedef enum queue_model {
    QUEUE_RISK_AVERSE = 0,
    QUEUE_PROB_POWER,
    QUEUE_PROB_POWER2,
    QUEUE_PROB_POWER3,
    QUEUE_PROB_LOG,
    QUEUE_PROB_LOG2,
    QUEUE_OPTIMISTIC,
    QUEUE_L3,
    QUEUE_MODELS
} queue_model_t;

typedef struct queue_cfg { /* all zero = risk_averse */
    uint32_t model;        /* queue_model_t */
    uint32_t power;        /* of prob_power*, 1..QUEUE_POWER_MAX; else 0 */
} queue_cfg_t;

/* queue_check: ERR_OK, or ERR_ARG with a sentence. */
err_t queue_check(const queue_cfg_t *cfg);

/* queue_parse: a name as above, "prob_power:2"; ERR_CONFIG with a sentence, *out untouched, when it is none. */
err_t queue_parse(const char *text, queue_cfg_t *out);

/* queue_text: the name of a model that queue_check takes; out holds QUEUE_TEXT_MAX bytes. Returns out. */
const char *queue_text(const queue_cfg_t *cfg, char *out);

/* queue_ahead: quantity ahead of us after the level changed.
 *   unit    quantity that is one whole: 10^qty_exp
 *   ahead   as it stood, trades taken off already        before, after   strangers' quantity of the level, then and now
 *   traded  what trades at this price told since `before`, whoever they met
 * Returns 0..min(ahead, after): ahead itself when nothing was cancelled. All quantities 0 or more. */
int64_t queue_ahead(const queue_cfg_t *cfg, int64_t unit, int64_t ahead, int64_t before, int64_t after, int64_t traded);
