#include "core/ref/instrument.h"

#include <assert.h>
#include <string.h>

#include "core/types/hash.h"

#define EXP_MAX 12
#define EXP_SUM_MAX 18

/* ---- currencies -------------------------------------------------------------------------------------------------- */

uint64_t ccy_pack(const char *text)
{
    uint64_t ccy = 0;
    for (unsigned i = 0; text[i] != '\0'; i++) {
        if (i == 8) {
            return 0;
        }
        ccy |= (uint64_t)(unsigned char)text[i] << (8 * i);
    }
    return ccy;
}

const char *ccy_text(uint64_t ccy, char out[9])
{
    for (unsigned i = 0; i < 8; i++) {
        out[i] = (char)(ccy >> (8 * i) & 0xff);
    }
    out[8] = '\0';
    return out;
}

static bool ccy_valid(uint64_t ccy)
{
    bool ended = false;
    for (unsigned i = 0; i < 8; i++) {
        const unsigned c    = (unsigned)(ccy >> (8 * i) & 0xff);
        const bool     word = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (c == 0) {
            ended = true;
        } else if (ended || !word) {
            return false;
        }
    }
    return ccy != 0;
}

/* ---- validation -------------------------------------------------------------------------------------------------- */

static err_t check_symbol(const char *symbol)
{
    const size_t len = strnlen(symbol, SYMBOL_MAX + 1);
    if (len == 0 || len > SYMBOL_MAX) {
        return err_set(ERR_ARG, "instrument: symbol has %s bytes, limit 1..%d", len == 0 ? "0" : "too many",
                       SYMBOL_MAX);
    }
    for (size_t i = 0; i < len; i++) {
        if (symbol[i] <= ' ' || symbol[i] > '~') {
            return err_set(ERR_ARG, "instrument: symbol byte %zu is 0x%02x, limit printable ASCII without space", i,
                           (unsigned)(unsigned char)symbol[i]);
        }
    }
    return ERR_OK;
}

static err_t check_scales(const instrument_def_t *def, const char *symbol)
{
    const struct {
        const char *name;
        int         value;
    } exps[] = {
        {"px_exp", def->px_exp}, {"qty_exp", def->qty_exp}, {"money_exp", def->money_exp}, {"mult_exp", def->mult_exp}};
    for (size_t i = 0; i < sizeof exps / sizeof exps[0]; i++) {
        if (exps[i].value < 0 || exps[i].value > EXP_MAX) {
            return err_set(ERR_ARG, "instrument %s: %s is %d, limit 0..%d", symbol, exps[i].name, exps[i].value,
                           EXP_MAX);
        }
    }
    const int sum = def->px_exp + def->qty_exp + def->mult_exp;
    if (sum > EXP_SUM_MAX) {
        return err_set(ERR_ARG, "instrument %s: px_exp + qty_exp + mult_exp is %d, limit %d", symbol, sum, EXP_SUM_MAX);
    }
    return ERR_OK;
}

static err_t check_terms(const instrument_def_t *def, const char *symbol)
{
    if (def->kind != INSTRUMENT_SPOT && def->kind != INSTRUMENT_LINEAR && def->kind != INSTRUMENT_INVERSE) {
        return err_set(ERR_ARG, "instrument %s: kind is %u, limit 1 spot, 2 linear, 3 inverse", symbol, def->kind);
    }
    if (def->allow_negative > 1 || (def->allow_negative == 1 && def->kind == INSTRUMENT_INVERSE)) {
        return err_set(ERR_ARG, "instrument %s: allow_negative is %u, limit %s", symbol, def->allow_negative,
                       def->kind == INSTRUMENT_INVERSE ? "0 for inverse" : "0 or 1");
    }
    if (!ccy_valid(def->settle_ccy)) {
        return err_set(ERR_ARG, "instrument %s: settle_ccy is 0x%016llx, limit 1..8 letters or digits", symbol,
                       (unsigned long long)def->settle_ccy);
    }
    const struct {
        const char *name;
        int64_t     value;
        int64_t     lowest;
    } least[] = {{"lot", def->lot, 1},
                 {"min_qty", def->min_qty, 0},
                 {"min_notional", def->min_notional, 0},
                 {"mult", def->mult, 1}};
    for (size_t i = 0; i < sizeof least / sizeof least[0]; i++) {
        if (least[i].value < least[i].lowest) {
            return err_set(ERR_ARG, "instrument %s: %s is %lld, limit at least %lld", symbol, least[i].name,
                           (long long)least[i].value, (long long)least[i].lowest);
        }
    }
    if (def->kind == INSTRUMENT_SPOT && (def->mult != 1 || def->mult_exp != 0)) {
        return err_set(ERR_ARG, "instrument %s: mult is %lld and mult_exp %d, limit 1 and 0 for spot", symbol,
                       (long long)def->mult, def->mult_exp);
    }
    if (def->band_lower > def->band_upper) {
        return err_set(ERR_ARG, "instrument %s: band_lower is %lld, limit band_upper %lld", symbol,
                       (long long)def->band_lower, (long long)def->band_upper);
    }
    return ERR_OK;
}

static err_t check_bands(const char *symbol, const tick_band_t *bands, uint32_t band_count)
{
    if (band_count < 1 || band_count > INSTRUMENT_MAX_BANDS) {
        return err_set(ERR_ARG, "instrument %s: %u tick bands, limit 1..%d", symbol, band_count, INSTRUMENT_MAX_BANDS);
    }
    for (uint32_t i = 0; i < band_count; i++) {
        if (bands[i].tick <= 0) {
            return err_set(ERR_ARG, "instrument %s: tick of band %u is %lld, limit at least 1", symbol, i,
                           (long long)bands[i].tick);
        }
        if (i > 0 && bands[i].px_from <= bands[i - 1].px_from) {
            return err_set(ERR_ARG, "instrument %s: px_from of band %u is %lld, limit above %lld of the band before it",
                           symbol, i, (long long)bands[i].px_from, (long long)bands[i - 1].px_from);
        }
        /* Then "multiple of the tick" and "steps from px_from" are the same grid, and a band's edge lies on it. */
        if (i > 0 && bands[i].px_from % bands[i].tick != 0) {
            return err_set(ERR_ARG, "instrument %s: px_from of band %u is %lld, limit a multiple of its tick %lld",
                           symbol, i, (long long)bands[i].px_from, (long long)bands[i].tick);
        }
    }
    return ERR_OK;
}

err_t instrument_init(instrument_t *ins, const instrument_def_t *def, const char *symbol, const tick_band_t *bands,
                      uint32_t band_count)
{
    assert(ins != NULL && def != NULL && symbol != NULL && (bands != NULL || band_count == 0));
    err_t err = check_symbol(symbol);
    if (err == ERR_OK) {
        err = check_scales(def, symbol);
    }
    if (err == ERR_OK) {
        err = check_terms(def, symbol);
    }
    if (err == ERR_OK) {
        err = check_bands(symbol, bands, band_count);
    }
    if (err != ERR_OK) {
        return err;
    }
    *ins = (instrument_t){.def = *def, .band_count = band_count};
    memcpy(ins->bands, bands, band_count * sizeof bands[0]);
    memcpy(ins->symbol, symbol, strlen(symbol));
    return ERR_OK;
}

/* ---- ticks ------------------------------------------------------------------------------------------------------- */

static uint32_t band_at(const instrument_t *ins, int64_t px)
{
    uint32_t i = ins->band_count - 1;
    while (i > 0 && px < ins->bands[i].px_from) {
        i--;
    }
    return i;
}

int64_t instrument_tick_at(const instrument_t *ins, int64_t px)
{
    return ins->bands[band_at(ins, px)].tick;
}

bool instrument_on_tick(const instrument_t *ins, int64_t px)
{
    return px % instrument_tick_at(ins, px) == 0;
}

/* The multiple of tick at or below px; at the very end of int64 the one above, where there is none below. */
static int64_t multiple_down(int64_t px, int64_t tick)
{
    const int64_t rest = px % tick;
    int64_t       down = 0;
    if (rest >= 0) {
        return px - rest;
    }
    return __builtin_sub_overflow(px - rest, tick, &down) ? px - rest : down;
}

int64_t instrument_round_down(const instrument_t *ins, int64_t px)
{
    return multiple_down(px, instrument_tick_at(ins, px)); /* a band's edge is on its grid: never below the band */
}

int64_t instrument_round_up(const instrument_t *ins, int64_t px)
{
    const uint32_t band = band_at(ins, px);
    const int64_t  tick = ins->bands[band].tick;
    const int64_t  rest = px % tick;
    int64_t        up   = px - rest;
    if (rest > 0 && __builtin_add_overflow(px - rest, tick, &up)) {
        up = band + 1 < ins->band_count ? INT64_MAX : px - rest;
    }
    return band + 1 < ins->band_count ? min_i64(up, ins->bands[band + 1].px_from) : up;
}

/* ---- value ------------------------------------------------------------------------------------------------------- */

static i128_t magnitude_limit(void)
{
    return (i128_t)(~(u128_t)0 >> 1);
}

/* v * f without wrapping, f > 0. By hand: clang's overflow builtin for 128 bits needs a runtime library of its own. */
static bool mul_i128(i128_t v, int64_t f, i128_t *out)
{
    const bool small = v <= INT64_MAX && v >= INT64_MIN; /* then the product is below 2^126 and no division is needed */
    if (!small && (v > magnitude_limit() / f || v < -(magnitude_limit() / f))) {
        return false;
    }
    *out = v * f;
    return true;
}

/* SPOT, LINEAR: floor(px_qty * mult * 10^shift), px_qty = px * qty. A negative shift divides first and adds the value
 * of the remainder, so that only the result has to fit and not the product of three 64-bit numbers. */
static bool value_linear(const instrument_t *ins, i128_t px_qty, i128_t *out)
{
    const instrument_def_t *def   = &ins->def;
    int                     shift = def->money_exp + MONEY_NANO_EXP - def->px_exp - def->qty_exp - def->mult_exp;
    i128_t                  v     = 0;
    if (shift < 0) {
        const int64_t d = pow10_i64((unsigned)-shift);
        const i128_t  q = div_floor(px_qty, d);
        if (!mul_i128(q, def->mult, &v)) {
            return false;
        }
        const i128_t of_rest = div_floor((px_qty - q * d) * def->mult, d); /* rest < 10^9: below 2^93 */
        if (v > magnitude_limit() - of_rest) {
            return false;
        }
        *out = v + of_rest;
        return true;
    }
    if (!mul_i128(px_qty, def->mult, &v)) {
        return false;
    }
    for (; shift > 0; shift -= POW10_MAX) {
        if (!mul_i128(v, pow10_i64(shift < POW10_MAX ? (unsigned)shift : POW10_MAX), &v)) {
            return false;
        }
    }
    *out = v;
    return true;
}

/* INVERSE: floor(n * 10^shift / px), n = -qty * mult. Long division, 18 digits at a time: 10^shift alone may be 10^33.
 * */
static bool value_inverse(const instrument_t *ins, int64_t px, i128_t n, i128_t *out)
{
    const instrument_def_t *def   = &ins->def;
    int                     shift = def->money_exp + MONEY_NANO_EXP + def->px_exp - def->qty_exp - def->mult_exp;
    if (px <= 0) {
        return false;
    }
    if (shift < 0) {
        *out = div_floor(n, mul_i64(px, pow10_i64((unsigned)-shift)));
        return true;
    }
    i128_t q    = div_floor(n, px);
    i128_t rest = n - q * px;
    for (; shift > 0; shift -= POW10_MAX) {
        const int64_t scale  = pow10_i64(shift < POW10_MAX ? (unsigned)shift : POW10_MAX);
        const i128_t  digits = rest * scale; /* rest < px < 2^63 and scale < 2^60 */
        const i128_t  more   = div_floor(digits, px);
        if (!mul_i128(q, scale, &q) || q > magnitude_limit() - more) {
            return false;
        }
        q += more;
        rest = digits - more * px;
    }
    *out = q;
    return true;
}

bool instrument_value_nano(const instrument_t *ins, int64_t px, int64_t qty, i128_t *out)
{
    if (ins->def.kind == INSTRUMENT_INVERSE) {
        return value_inverse(ins, px, -mul_i64(qty, ins->def.mult), out);
    }
    return value_linear(ins, mul_i64(px, qty), out);
}

/* floor(px * qty * mult * 10^shift), money, in 64 bits: what is marked and held nearly always fits. false = it does not
 * on its way. SPOT, LINEAR. */
static bool money_short(const instrument_t *ins, int64_t px, int64_t qty, int64_t *out)
{
    const instrument_def_t *def   = &ins->def;
    const int               shift = def->money_exp - def->px_exp - def->qty_exp - def->mult_exp;
    int64_t                 v;
    if (__builtin_mul_overflow(px, qty, &v) || __builtin_mul_overflow(v, def->mult, &v)) {
        return false;
    }
    if (shift >= 0) {
        return !__builtin_mul_overflow(v, pow10_i64((unsigned)shift), out);
    }
    const int64_t d = pow10_i64((unsigned)-shift);
    *out            = v / d - (v % d < 0);
    return true;
}

bool instrument_money(const instrument_t *ins, int64_t px, int64_t qty, i128_t *out)
{
    int64_t money;
    i128_t  nano;
    if (ins->def.kind != INSTRUMENT_INVERSE && money_short(ins, px, qty, &money)) {
        *out = money;
        return true;
    }
    if (!instrument_value_nano(ins, px, qty, &nano)) {
        return false;
    }
    *out = div_floor(nano, pow10_i64(MONEY_NANO_EXP));
    return true;
}

/* ceil(px * qty * mult * 10^shift) in 64 bits, as nearly every order fits; this is asked several times for each. false
 * = it does not fit on its way: the long way round may still. */
static bool notional_short(const instrument_t *ins, int64_t px, int64_t qty, int64_t *out)
{
    const instrument_def_t *def   = &ins->def;
    const int               shift = def->money_exp - def->px_exp - def->qty_exp - def->mult_exp;
    int64_t                 v;
    if (__builtin_mul_overflow(px, qty, &v) || __builtin_mul_overflow(v, def->mult, &v) || v == INT64_MIN) {
        return false;
    }
    v = v < 0 ? -v : v;
    if (shift >= 0) {
        if (__builtin_mul_overflow(v, pow10_i64((unsigned)shift), &v)) {
            return false;
        }
        *out = v;
        return true;
    }
    const int64_t d = pow10_i64((unsigned)-shift);
    *out            = v / d + (v % d != 0);
    return true;
}

bool instrument_notional(const instrument_t *ins, int64_t px, int64_t qty, int64_t *out)
{
    /* The floor of the negative value is the ceiling of its size; a second ceiling, nano to money, keeps it exact. */
    const bool inverse = ins->def.kind == INSTRUMENT_INVERSE;
    i128_t     nano    = 0;
    if (!inverse && notional_short(ins, px, qty, out)) {
        return true;
    }
    const i128_t n = inverse ? mul_i64(qty, ins->def.mult) : mul_i64(px, qty);
    if (!(inverse ? value_inverse(ins, px, n > 0 ? -n : n, &nano) : value_linear(ins, n > 0 ? -n : n, &nano))) {
        return false;
    }
    return fit_i64(-div_floor(nano, pow10_i64(MONEY_NANO_EXP)), out);
}

uint64_t instrument_hash(uint64_t hash, const instrument_t *ins)
{
    hash = hash_bytes(hash, &ins->def, sizeof ins->def);
    hash = hash_u64(hash, ins->band_count);
    hash = hash_bytes(hash, ins->bands, ins->band_count * sizeof ins->bands[0]);
    return hash_bytes(hash, ins->symbol, sizeof ins->symbol);
}
