#include "core/match/queue.h"

#include <stdio.h>
#include <string.h>

#include "core/types/decimal.h"
#include "core/types/num.h"

#define ONE_Q62 (UINT64_C(1) << 62)
#define LOG_SLACK 4u /* two logarithms, each within 2 units */

static const char *const names[QUEUE_MODELS] = {"risk_averse", "prob_power", "prob_power2", "prob_power3",
                                                "prob_log",    "prob_log2",  "optimistic",  "l3"};

static bool has_power(uint32_t model)
{
    return model == QUEUE_PROB_POWER || model == QUEUE_PROB_POWER2 || model == QUEUE_PROB_POWER3;
}

err_t queue_check(const queue_cfg_t *cfg)
{
    if (cfg->model >= QUEUE_MODELS) {
        return err_set(ERR_ARG, "queue model %u, limit 0..%d", cfg->model, QUEUE_MODELS - 1);
    }
    if (has_power(cfg->model) && (cfg->power == 0 || cfg->power > QUEUE_POWER_MAX)) {
        return err_set(ERR_ARG, "queue model %s has power %u, limit 1..%u", names[cfg->model], cfg->power,
                       QUEUE_POWER_MAX);
    }
    return ERR_OK;
}

err_t queue_parse(const char *text, queue_cfg_t *out)
{
    const size_t len = strcspn(text, ":");
    for (uint32_t model = 0; model < QUEUE_MODELS; model++) {
        if (strlen(names[model]) != len || memcmp(names[model], text, len) != 0) {
            continue;
        }
        int64_t     power  = 0;
        const char *digits = text[len] == ':' ? text + len + 1 : "";
        if ((text[len] == ':') == has_power(model) &&
            (!has_power(model) ||
             (decimal_parse(digits, strlen(digits), 0, &power) == ERR_OK && power > 0 && power <= QUEUE_POWER_MAX))) {
            *out = (queue_cfg_t){.model = model, .power = (uint32_t)power};
            return ERR_OK;
        }
    }
    return err_set(ERR_CONFIG,
                   "\"%s\" is none of risk_averse, prob_power:N, prob_power2:N, prob_power3:N (N 1 to %u), prob_log, "
                   "prob_log2, optimistic, l3",
                   text, QUEUE_POWER_MAX);
}

const char *queue_text(const queue_cfg_t *cfg, char *out)
{
    if (has_power(cfg->model)) {
        snprintf(out, QUEUE_TEXT_MAX, "%s:%u", names[cfg->model], cfg->power);
    } else {
        snprintf(out, QUEUE_TEXT_MAX, "%s", names[cfg->model]);
    }
    return out;
}

/* ---- fixed point ------------------------------------------------------------------------------------------------- */

/* x^n of 0 <= x <= 1 in 2^-62, rounded down or up. */
static uint64_t power_q62(uint64_t x, uint32_t n, bool up)
{
    uint64_t y = ONE_Q62;
    for (uint32_t i = 0; i < n; i++) {
        const u128_t product = (u128_t)y * x;
        y                    = (uint64_t)(product >> 62) + (up && (product & (ONE_Q62 - 1)) != 0);
    }
    return y;
}

/* log2(x) of x >= 1 in 2^-56, within 2 units: the whole part is the place of the top bit; squaring what is left doubles its logarithm, bit
 * by bit. */
static uint64_t log2_q56(u128_t x)
{
    const uint64_t high = (uint64_t)(x >> 64);
    const unsigned top =
        high != 0 ? 127U - (unsigned)__builtin_clzll(high) : 63U - (unsigned)__builtin_clzll((uint64_t)x);
    uint64_t m     = (uint64_t)(top > 63 ? x >> (top - 63) : x << (63 - top)); /* 1 <= m < 2 in 2^-63 */
    uint64_t whole = top;
    for (unsigned i = 0; i < 56; i++) {
        const u128_t square = (u128_t)m * m; /* in 2^-126 */
        const bool   carry  = (square >> 127) != 0;
        m                   = (uint64_t)(square >> (carry ? 64 : 63));
        whole               = whole << 1 | carry;
    }
    return whole;
}

/* ln(1 + x) up to a constant factor, which a ratio loses; x in 1 / unit. Not above, or not below what it is. */
static uint64_t log_q56(u128_t x, int64_t unit, bool up)
{
    const uint64_t log = log2_q56(x + (uint64_t)unit) - log2_q56((uint64_t)unit);
    return x == 0 ? 0 : up ? log + LOG_SLACK : log < LOG_SLACK ? 0 : log - LOG_SLACK;
}

/* part / whole in 2^-32, rounded up, at most 1. */
static uint64_t share_up(uint64_t part, u128_t whole)
{
    return part >= whole ? UINT64_C(1) << 32 : (uint64_t)((((u128_t)part << 32) + whole - 1) / whole);
}

/* The share behind us of what was cancelled, in 2^-32. ahead + back > 0. */
static uint64_t share_behind(const queue_cfg_t *cfg, int64_t unit, int64_t ahead, int64_t back)
{
    const u128_t   whole = (u128_t)(uint64_t)ahead + (uint64_t)back;
    const uint64_t front = (uint64_t)(((u128_t)(uint64_t)ahead << 62) / whole); /* down: what is behind is rounded up */
    switch ((queue_model_t)cfg->model) {
    case QUEUE_PROB_POWER: {
        const uint64_t up = power_q62(ONE_Q62 - front, cfg->power, true);
        return share_up(up, (u128_t)up + power_q62(front, cfg->power, false));
    }
    case QUEUE_PROB_POWER2: return share_up(power_q62(ONE_Q62 - front, cfg->power, true), ONE_Q62);
    case QUEUE_PROB_POWER3: return share_up(ONE_Q62 - power_q62(front, cfg->power, false), ONE_Q62);
    case QUEUE_PROB_LOG: {
        const uint64_t behind = log_q56((uint64_t)back, unit, true);
        return share_up(behind, (u128_t)behind + log_q56((uint64_t)ahead, unit, false));
    }
    case QUEUE_PROB_LOG2: return share_up(log_q56((uint64_t)back, unit, true), log_q56(whole, unit, false));
    case QUEUE_OPTIMISTIC: return 0;
    case QUEUE_RISK_AVERSE:
    case QUEUE_L3:
    case QUEUE_MODELS: break;
    }
    return UINT64_C(1) << 32;
}

int64_t queue_ahead(const queue_cfg_t *cfg, int64_t unit, int64_t ahead, int64_t before, int64_t after, int64_t traded)
{
    const int64_t left      = traded < before ? before - traded : 0;
    const int64_t cancelled = left - after;
    const int64_t most      = min_i64(ahead, after);
    if (cancelled <= 0 || ahead == 0 || cfg->model == QUEUE_RISK_AVERSE || cfg->model == QUEUE_L3) {
        return most;
    }
    const int64_t  back     = max_i64(left - ahead, 0);
    const uint64_t behind   = share_behind(cfg, unit, ahead, back);
    const int64_t  in_front = (int64_t)((u128_t)(uint64_t)cancelled * ((UINT64_C(1) << 32) - behind) >> 32);
    return max_i64(0, min_i64(most, ahead - min_i64(ahead, in_front)));
}
