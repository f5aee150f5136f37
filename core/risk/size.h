/* size: how large may a position be? Pure functions over figures that the caller has: equity, prices, the instrument.
 *
 *   fixed risk      the quantity that loses risk_bp of equity when the price goes from px to stop_px
 *   Kelly           f = p - (1 - p) / b of equity, times a share of it (half Kelly: 5,000), never more than the cap
 *   volatility      weight = wanted volatility / the instrument's, never more than the cap
 *   target weight   the change that makes the position's value the wanted share of equity, signed
 *
 * Rounding  quantities are on the lot and rounded towards zero; values are notionals of core/ref/instrument.h, rounded up: what
 *           comes out is never worth more, and never loses more, than was asked for. A change of weight is never across zero
 *           by itself: it is towards a target, whatever lies between.
 * Units     qty, px of the instrument; equity in its settlement currency's money; bp = 1/10,000; ppm = 10^-6.
 * Errors    ERR_ARG with a sentence that names figure, value and limit; *out untouched. Equity of zero or less: 0.
 * Cost      up to 63 notionals each (bisection over lots: exact for every kind of instrument).
 * Threads   any; no state.
 * Source    J. L. Kelly, "A new interpretation of information rate" (1956); the rest is arithmetic. */
#pragma once

#include "core/ref/instrument.h"

#define SIZE_BP 10000
#define SIZE_PPM 1000000

/* size_of_value: the largest quantity on the lot whose notional at px is at most value. px must be one that has a value
 * (inverse: > 0), else ERR_ARG. */
err_t size_of_value(const instrument_t *ins, int64_t px, int64_t value, int64_t *out);

/* size_fixed_risk: 0 < risk_bp <= SIZE_BP; stop_px other than px. max_weight_bp: notional at px over equity at most. */
err_t size_fixed_risk(const instrument_t *ins, int64_t equity, int64_t risk_bp, int64_t px, int64_t stop_px,
                      int64_t max_weight_bp, int64_t *out);

/* size_kelly: win_ppm: probability of a win, 0 .. SIZE_PPM; odds_ppm: win over loss, 1 .. 1,000 * SIZE_PPM; share_bp:
 * of Kelly's f, 0 .. SIZE_BP.
 * An edge of nothing or less: 0. */
err_t size_kelly(const instrument_t *ins, int64_t equity, int64_t win_ppm, int64_t odds_ppm, int64_t share_bp,
                 int64_t px, int64_t max_weight_bp, int64_t *out);

/* size_vol_target: target_bp, vol_bp: volatilities of the same period, > 0. */
err_t size_vol_target(const instrument_t *ins, int64_t equity, int64_t target_bp, int64_t vol_bp, int64_t px,
                      int64_t max_weight_bp, int64_t *out);

/* size_target_weight: weight_bp signed, |weight_bp| <= max_weight_bp; pos: the position now. *out: what to buy (> 0) or sell. */
err_t size_target_weight(const instrument_t *ins, int64_t equity, int64_t weight_bp, int64_t px, int64_t pos,
                         int64_t max_weight_bp, int64_t *out);
