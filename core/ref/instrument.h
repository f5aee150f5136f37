/* instrument: what the engine knows about one tradable thing: scales, ticks, lots, contract value.
 *
 * Built once from an INSTRUMENT_DEF message and then constant (a new definition is a new input record). Plain data
 * without pointers: it lies in the engine's arena and in snapshots. One writer (the engine thread); read by everyone
 * in that thread.
 *
 * Value    money of a quantity at a price, the one formula that P&L, risk and the simulated venue share:
 *            SPOT, LINEAR   value = px * qty * mult
 *            INVERSE        value = -(qty * mult) / px     (coin; negative on purpose: it rises with px, so that
 *                                                           "buy pays value, sell receives it" holds for every kind)
 * Units    px, qty, mult in 10^-px_exp, 10^-qty_exp, 10^-mult_exp; money in 10^-money_exp; "nano" money is money with
 *          MONEY_NANO_EXP further digits, in which the remainder of a division is kept (DESIGN: rounded against us,
 *          remainder carried).
 * Limits   16 tick bands; symbol 23 bytes; each exponent 0..12; px_exp + qty_exp + mult_exp <= 18. */
#pragma once

#include <stdbool.h>

#include "core/types/err.h"
#include "core/types/msg.h"
#include "core/types/num.h"

#define INSTRUMENT_MAX_BANDS 16
#define MONEY_NANO_EXP 9

typedef struct instrument {
    instrument_def_t def;
    uint32_t         band_count;
    uint32_t         reserved;
    tick_band_t      bands[INSTRUMENT_MAX_BANDS]; /* rising px_from; bands[0] reaches down without end */
    char             symbol[SYMBOL_MAX + 1];
} instrument_t;

/* ccy_pack, ccy_text: a currency of up to 8 letters as one word, and back (out holds 9 bytes). */
uint64_t    ccy_pack(const char *text);
const char *ccy_text(uint64_t ccy, char out[9]);

/* instrument_init: validate a definition and build the instrument. bands: count >= 1, rising px_from, tick > 0.
 * Returns ERR_OK; ERR_ARG with a sentence that names the field, its value and its limit (ins untouched). */
err_t instrument_init(instrument_t *ins, const instrument_def_t *def, const char *symbol, const tick_band_t *bands,
                      uint32_t band_count);

/* instrument_tick_at: tick size in force at px. */
int64_t instrument_tick_at(const instrument_t *ins, int64_t px);

/* instrument_on_tick: is px a multiple of the tick of its band (counted from px_from of the band, or 0)? */
bool instrument_on_tick(const instrument_t *ins, int64_t px);

/* instrument_round_down, _up: nearest valid price not above, not below px. */
int64_t instrument_round_down(const instrument_t *ins, int64_t px);
int64_t instrument_round_up(const instrument_t *ins, int64_t px);

/* instrument_value_nano: value of qty at px in nano money, rounded towards -inf (for a holder of qty: against us).
 * qty may be negative; INVERSE needs px > 0. false when the result does not fit 127 bits (out untouched). */
bool instrument_value_nano(const instrument_t *ins, int64_t px, int64_t qty, i128_t *out);

/* instrument_money: the same in whole money, rounded towards -inf; false as there. In 64 bits where they do: ~2 ns. */
bool instrument_money(const instrument_t *ins, int64_t px, int64_t qty, i128_t *out);

/* instrument_notional: |value| in money, rounded up (a limit check gets stricter). false = does not fit an int64. */
bool instrument_notional(const instrument_t *ins, int64_t px, int64_t qty, int64_t *out);

/* instrument_hash: all fields into a hash. */
uint64_t instrument_hash(uint64_t hash, const instrument_t *ins);
