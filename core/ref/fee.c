#include "core/ref/fee.h"

#include <string.h>

#include "core/types/time.h"

#define E8 100000000

static err_t rates_check(const char *whose, int64_t maker_e8, int64_t taker_e8)
{
    const int64_t rates[] = {maker_e8, taker_e8};
    for (unsigned i = 0; i < 2; i++) {
        if (rates[i] < -FEE_RATE_MAX || rates[i] > FEE_RATE_MAX) {
            return err_set(ERR_ARG, "%s: %s fee rate is %lld e-8, limit +-%lld", whose, i == 0 ? "maker" : "taker",
                           (long long)rates[i], FEE_RATE_MAX);
        }
    }
    return ERR_OK;
}

err_t fee_check(const fee_cfg_t *cfg)
{
    const struct {
        const char *name;
        int64_t     value;
    } moneys[] = {{"per contract", cfg->per_contract_e8},
                  {"minimum of a fill", cfg->min_fill_e8},
                  {"minimum of an order", cfg->min_order_e8}};
    err_t err  = rates_check("fees", cfg->maker_rate_e8, cfg->taker_rate_e8);
    for (unsigned i = 0; err == ERR_OK && i < 3; i++) {
        if (moneys[i].value < 0 || moneys[i].value > FEE_MONEY_MAX) {
            err = err_set(ERR_ARG, "fees: %s is %lld e-8, limit 0..%lld", moneys[i].name, (long long)moneys[i].value,
                          FEE_MONEY_MAX);
        }
    }
    if (err == ERR_OK && (cfg->window_days > FEE_DAYS_MAX || cfg->tier_count > FEE_TIERS_MAX)) {
        err = err_set(ERR_ARG, "fees: %u days and %u tiers, limits %u and %u", cfg->window_days, cfg->tier_count,
                      FEE_DAYS_MAX, FEE_TIERS_MAX);
    }
    int64_t last = 0;
    for (uint32_t i = 0; err == ERR_OK && i < cfg->tier_count; i++) {
        const fee_tier_t *tier = &cfg->tiers[i];
        err                    = rates_check("fees of a tier", tier->maker_rate_e8, tier->taker_rate_e8);
        if (err == ERR_OK && tier->from_volume <= last) {
            err = err_set(ERR_ARG, "fees: tier %u is from a volume of %lld, limit above %lld", i + 1,
                          (long long)tier->from_volume, (long long)last);
        }
        last = tier->from_volume;
    }
    return err;
}

void fee_begin(fee_t *fee, const fee_cfg_t *cfg)
{
    memset(fee, 0, sizeof *fee);
    fee->cfg = *cfg;
    fee_window_begin(&fee->window);
}

/* ---- volume ------------------------------------------------------------------------------------------------------ */

/* Months since year 0 of a day since 1970: the civil calendar, counted from March so that leap days come last. */
static int64_t month_of(int64_t day)
{
    const int64_t z   = day + 719468; /* since 0000-03-01 */
    const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const int64_t doe = z - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t m   = (5 * doy + 2) / 153; /* 0 = March */
    return (yoe + era * 400) * 12 + m + 2;
}

void fee_window_begin(fee_window_t *window)
{
    memset(window, 0, sizeof *window);
    window->period = INT64_MIN;
}

void fee_window_move(fee_window_t *window, uint32_t days, int64_t utc_ns)
{
    const int64_t day  = (int64_t)div_floor(utc_ns, NS_PER_DAY);
    const int64_t span = days;
    const int64_t now  = days == 0 ? month_of(day) : day;
    if (now <= window->period) {
        return;
    }
    if (days == 0 || window->period == INT64_MIN || now - window->period >= span) {
        memset(window->volume, 0, sizeof window->volume);
    } else {
        for (int64_t d = window->period + 1; d <= now; d++) {
            window->volume[(d % span + span) % span] = 0;
        }
    }
    window->period = now;
}

i128_t fee_window_sum(const fee_window_t *window)
{
    i128_t sum = 0;
    for (unsigned i = 0; i < FEE_DAYS_MAX; i++) {
        sum += window->volume[i];
    }
    return sum;
}

void fee_window_add(fee_window_t *window, uint32_t days, int64_t money)
{
    const int64_t span = days;
    int64_t      *at   = &window->volume[days == 0 ? 0 : (window->period % span + span) % span];
    if (__builtin_add_overflow(*at, money, at)) {
        *at = INT64_MAX;
    }
}

int64_t fee_volume(const fee_t *fee)
{
    const i128_t sum = fee_window_sum(&fee->window);
    return sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}

/* ---- one fill ---------------------------------------------------------------------------------------------------- */

static int64_t rate_e8(const fee_t *fee, const instrument_t *ins, liquidity_t liquidity)
{
    const fee_cfg_t *cfg    = &fee->cfg;
    const i128_t     volume = cfg->tier_count == 0 ? 0 : fee_window_sum(&fee->window);
    int64_t          maker = cfg->maker_rate_e8, taker = cfg->taker_rate_e8;
    for (uint32_t i = 0; i < cfg->tier_count; i++) {
        if (volume >= mul_i64(cfg->tiers[i].from_volume, pow10_i64((unsigned)ins->def.money_exp))) {
            maker = cfg->tiers[i].maker_rate_e8;
            taker = cfg->tiers[i].taker_rate_e8;
        }
    }
    return liquidity == LIQUIDITY_MAKER ? maker : taker;
}

/* What does not fit is against us: the largest fee, no rebate. */
static int64_t fit_fee(bool fits, i128_t fee, bool paid)
{
    int64_t out = paid ? INT64_MAX : 0;
    return fits && fit_i64(fee, &out) ? out : paid ? INT64_MAX : 0;
}

static int64_t money_up(int64_t e8, const instrument_t *ins, i128_t times, i128_t per)
{
    i128_t     product;
    const bool fits = !__builtin_mul_overflow(mul_i64(e8, pow10_i64((unsigned)ins->def.money_exp)), times, &product);
    return fit_fee(fits, fits ? div_ceil(product, per * E8) : 0, true);
}

static int64_t add_sat(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* The value is floored to nano money: its size is the larger of both signs when we pay, the smaller when we get. false: it does
 * not fit 127 bits. */
static bool value_size(const instrument_t *ins, int64_t px, int64_t qty, bool larger, i128_t *size)
{
    i128_t there, back;
    if (!instrument_value_nano(ins, px, qty, &there) || !instrument_value_nano(ins, px, -qty, &back)) {
        return false;
    }
    there = there < 0 ? -there : there;
    back  = back < 0 ? -back : back;
    *size = (there > back) == larger ? there : back;
    return true;
}

int64_t fee_of_value(const instrument_t *ins, int64_t px, int64_t qty, int64_t rate_e8)
{
    i128_t     size, nano = 0;
    const bool fits =
        value_size(ins, px, qty, rate_e8 > 0, &size) && !__builtin_mul_overflow(size, (i128_t)rate_e8, &nano);
    return fit_fee(fits, div_ceil(nano, (i128_t)FEE_RATE_ONE * pow10_i64(MONEY_NANO_EXP)), rate_e8 > 0);
}

int64_t fee_charge(fee_t *fee, fee_order_t *order, const instrument_t *ins, liquidity_t liquidity, int64_t px,
                   int64_t qty, int64_t utc_ns)
{
    const fee_cfg_t *cfg = &fee->cfg;
    i128_t           size;
    fee_window_move(&fee->window, cfg->window_days, utc_ns);
    int64_t    own  = fee_of_value(ins, px, qty, rate_e8(fee, ins, liquidity));
    const bool fits = value_size(ins, px, qty, false, &size);
    fee_window_add(&fee->window, cfg->window_days,
                   fits ? fit_fee(true, size / pow10_i64(MONEY_NANO_EXP), true) : INT64_MAX);
    if (cfg->per_contract_e8 > 0) {
        own = add_sat(own, money_up(cfg->per_contract_e8, ins, qty, pow10_i64((unsigned)ins->def.qty_exp)));
    }
    if (cfg->min_fill_e8 > 0) {
        own = max_i64(own, money_up(cfg->min_fill_e8, ins, 1, 1));
    }
    if (cfg->min_order_e8 == 0) {
        return own;
    }
    order->sum          = add_sat(order->sum, own);
    const int64_t due   = max_i64(order->sum, money_up(cfg->min_order_e8, ins, 1, 1));
    const int64_t fresh = due - order->charged;
    order->charged      = due;
    return fresh;
}

_Static_assert(sizeof(fee_cfg_t) == 48 + FEE_TIERS_MAX * 24, "no padding: hashed whole");
_Static_assert(sizeof(fee_t) == sizeof(fee_cfg_t) + 8 + FEE_DAYS_MAX * 8, "no padding: hashed whole");
