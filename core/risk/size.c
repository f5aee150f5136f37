#include "core/risk/size.h"

#include <assert.h>

/* The largest multiple of the lot for which fits() holds; it holds for 0 and for no more once it does not. */
typedef struct question {
    const instrument_t *ins;
    int64_t             px;
    int64_t             stop_px; /* == px: not asked */
    int64_t             value;   /* notional at px at most */
    int64_t             loss;    /* from px to stop_px at most */
} question_t;

/* What quantity, whose notional at px fits, loses between the two prices, rounded against us. false = does not fit. */
static bool loss_of(const question_t *q, int64_t qty, int64_t *out)
{
    i128_t     at   = 0, stop;
    const bool fits = instrument_value_nano(q->ins, q->px, qty, &at);
    assert(fits);
    if (!instrument_value_nano(q->ins, q->stop_px, qty, &stop)) {
        return false;
    }
    const i128_t moved = at > stop ? at - stop : stop - at;
    return fit_i64(div_ceil(moved, pow10_i64(MONEY_NANO_EXP)), out);
}

static bool fits(const question_t *q, int64_t qty)
{
    int64_t value, loss;
    if (!instrument_notional(q->ins, q->px, qty, &value) || value > q->value) {
        return false;
    }
    return q->px == q->stop_px || (loss_of(q, qty, &loss) && loss <= q->loss);
}

static int64_t largest(const question_t *q)
{
    const int64_t lot = q->ins->def.lot;
    int64_t       lo = 0, hi = INT64_MAX / lot; /* in lots: fits, not looked at above */
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2 + 1;
        if (fits(q, mid * lot)) {
            lo = mid;
        } else {
            hi = mid - 1;
        }
    }
    return lo * lot;
}

/* The share num / den of equity, at most max_weight_bp of it; never negative. den, num <= 10^19, so nothing overflows. */
static int64_t value_of(int64_t equity, i128_t num, i128_t den, int64_t max_weight_bp)
{
    if (equity <= 0 || num <= 0) {
        return 0;
    }
    const bool   capped = num * SIZE_BP >= den * max_weight_bp;
    const i128_t value  = capped ? mul_i64(equity, max_weight_bp) / SIZE_BP : equity * num / den;
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static err_t check(const char *what, int64_t value, int64_t low, int64_t high)
{
    return value >= low && value <= high ? ERR_OK
                                         : err_set(ERR_ARG, "size: %s %lld is not within %lld .. %lld", what,
                                                   (long long)value, (long long)low, (long long)high);
}

/* Prices that have a value, and the cap on weight: what every method needs. */
static err_t check_common(const instrument_t *ins, int64_t px, int64_t max_weight_bp)
{
    const err_t err = check("px", px, ins->def.allow_negative ? INT64_MIN + 1 : 1, INT64_MAX);
    return err ? err : check("max_weight_bp", max_weight_bp, 0, (int64_t)SIZE_BP * 100);
}

err_t size_of_value(const instrument_t *ins, int64_t px, int64_t value, int64_t *out)
{
    const err_t err = check_common(ins, px, 0);
    if (err) {
        return err;
    }
    *out = value <= 0 ? 0 : largest(&(question_t){.ins = ins, .px = px, .stop_px = px, .value = value});
    return ERR_OK;
}

err_t size_fixed_risk(const instrument_t *ins, int64_t equity, int64_t risk_bp, int64_t px, int64_t stop_px,
                      int64_t max_weight_bp, int64_t *out)
{
    err_t err = check_common(ins, px, max_weight_bp);
    err       = err ? err : check_common(ins, stop_px, 0);
    err       = err ? err : check("risk_bp", risk_bp, 1, SIZE_BP);
    if (!err && px == stop_px) {
        err = err_set(ERR_ARG, "size: stop_px %lld is px itself, where nothing is lost", (long long)stop_px);
    }
    if (err) {
        return err;
    }
    const question_t q = {.ins     = ins,
                          .px      = px,
                          .stop_px = stop_px,
                          .value   = value_of(equity, max_weight_bp, SIZE_BP, max_weight_bp),
                          .loss    = value_of(equity, risk_bp, SIZE_BP, SIZE_BP)};
    *out               = largest(&q);
    return ERR_OK;
}

err_t size_kelly(const instrument_t *ins, int64_t equity, int64_t win_ppm, int64_t odds_ppm, int64_t share_bp,
                 int64_t px, int64_t max_weight_bp, int64_t *out)
{
    err_t err = check_common(ins, px, max_weight_bp);
    err       = err ? err : check("win_ppm", win_ppm, 0, SIZE_PPM);
    err       = err ? err : check("odds_ppm", odds_ppm, 1, (int64_t)SIZE_PPM * 1000);
    err       = err ? err : check("share_bp", share_bp, 0, SIZE_BP);
    if (err) {
        return err;
    }
    /* f = p - (1 - p) / b, with p and b in ppm: (p b - (10^6 - p) 10^6) / (10^6 b) */
    const i128_t f_num = mul_i64(win_ppm, odds_ppm) - mul_i64(SIZE_PPM - win_ppm, SIZE_PPM);
    const i128_t f_den = mul_i64(SIZE_PPM, odds_ppm);
    return size_of_value(ins, px, value_of(equity, f_num * share_bp, f_den * SIZE_BP, max_weight_bp), out);
}

err_t size_vol_target(const instrument_t *ins, int64_t equity, int64_t target_bp, int64_t vol_bp, int64_t px,
                      int64_t max_weight_bp, int64_t *out)
{
    err_t err = check_common(ins, px, max_weight_bp);
    err       = err ? err : check("target_bp", target_bp, 0, (int64_t)SIZE_BP * 100);
    err       = err ? err : check("vol_bp", vol_bp, 1, (int64_t)SIZE_BP * 100);
    return err ? err : size_of_value(ins, px, value_of(equity, target_bp, vol_bp, max_weight_bp), out);
}

err_t size_target_weight(const instrument_t *ins, int64_t equity, int64_t weight_bp, int64_t px, int64_t pos,
                         int64_t max_weight_bp, int64_t *out)
{
    int64_t target = 0, change;
    err_t   err    = check_common(ins, px, max_weight_bp);
    err            = err ? err : check("weight_bp", weight_bp, -max_weight_bp, max_weight_bp);
    err            = err ? err
                         : size_of_value(ins, px, value_of(equity, weight_bp < 0 ? -weight_bp : weight_bp, SIZE_BP, SIZE_BP * 100),
                                         &target);
    if (err) {
        return err;
    }
    if (!fit_i64((i128_t)(weight_bp < 0 ? -target : target) - pos, &change) || change == INT64_MIN) {
        return err_set(ERR_RANGE, "size: from a position of %lld to %s%lld is more than a quantity can say",
                       (long long)pos, weight_bp < 0 ? "-" : "", (long long)target);
    }
    *out = change - change % ins->def.lot; /* towards zero: a position off the lot keeps what no order can move */
    return ERR_OK;
}
