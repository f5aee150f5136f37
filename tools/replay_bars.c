#include "tools/replay_bars.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/types/decimal.h"
#include "core/types/time.h"

static unsigned exp_of(int32_t exp)
{
    return exp > 0 ? (unsigned)exp : 0;
}

/* ---- rule -------------------------------------------------------------------------------------------------------- */
static int64_t unit_ns(char unit)
{
    return unit == 's'   ? NS_PER_S
           : unit == 'm' ? 60 * NS_PER_S
           : unit == 'h' ? 3600 * NS_PER_S
           : unit == 'd' ? NS_PER_DAY
                         : 0;
}

/* A decimal that may be too large for 64 bits at its own scale: then it is whole enough for a coarser one. */
static err_t wide(const char *text, unsigned exp, i128_t *out)
{
    int64_t      value;
    unsigned     lower = 0;
    const size_t len   = strlen(text);
    err_t        err   = exp > DECIMAL_EXP_MAX ? ERR_RANGE : decimal_parse(text, len, exp, &value);
    while (err == ERR_RANGE && lower < exp) {
        lower++;
        err = exp - lower > DECIMAL_EXP_MAX ? ERR_RANGE : decimal_parse(text, len, exp - lower, &value);
    }
    if (!err && lower > POW10_MAX) {
        return ERR_RANGE;
    }
    if (!err) {
        *out = mul_i64(value, pow10_i64(lower));
    }
    return err;
}

err_t replay_bars_rule(const char *text, const instrument_t *ins, bar_rule_t *rule, i128_t *size)
{
    static const struct {
        const char *name;
        bar_rule_t  rule;
    } rules[]      = {{"time:", BAR_TIME}, {"ticks:", BAR_TICKS}, {"volume:", BAR_VOLUME}, {"value:", BAR_VALUE}};
    const char *at = NULL;
    for (size_t i = 0; i < 4; i++) {
        if (strncmp(text, rules[i].name, strlen(rules[i].name)) == 0) {
            *rule = rules[i].rule;
            at    = text + strlen(rules[i].name);
        }
    }
    if (!at) {
        return err_set(ERR_PARSE, "--bars \"%s\": not time:60s, ticks:1000, volume:10 or value:1000000", text);
    }
    err_t   err    = ERR_OK;
    int64_t number = 0;
    if (*rule == BAR_TIME) {
        const size_t  len  = strlen(at);
        const int64_t unit = len ? unit_ns(at[len - 1]) : 0;
        err                = unit ? decimal_parse(at, len - 1, 0, &number) : ERR_PARSE;
        *size              = mul_i64(number, unit);
    } else if (*rule == BAR_TICKS) {
        err   = decimal_parse(at, strlen(at), 0, &number);
        *size = number;
    } else {
        const unsigned qty = exp_of(ins->def.qty_exp);
        err                = wide(at, *rule == BAR_VOLUME ? qty : qty + exp_of(ins->def.px_exp), size);
    }
    bars_t none;
    if (err) {
        return err_set(err, "--bars \"%s\": %s", text,
                       err == ERR_SCALE    ? "finer than the instrument's scale"
                       : err == ERR_RANGE  ? "too large"
                       : *rule == BAR_TIME ? "a whole number and one of s, m, h, d"
                                           : "not a number");
    }
    err = bars_init(&none, *rule, *size);
    return err ? err_wrap(err, "--bars \"%s\"", text) : ERR_OK;
}

/* ---- series ------------------------------------------------------------------------------------------------------ */
err_t replay_bars_open(bar_series_t *series, const char *rule, const instrument_t *ins)
{
    bar_rule_t  which = BAR_TIME;
    i128_t      size  = 0;
    const err_t err   = replay_bars_rule(rule, ins, &which, &size);
    *series           = (bar_series_t){.ins = ins};
    return err ? err : bars_init(&series->bars, which, size);
}

void replay_bars_free(bar_series_t *series)
{
    free(series->list);
    series->list = NULL;
}

static err_t keep(bar_series_t *series, const bar_t *bar)
{
    if (series->count == REPLAY_BARS_MAX) {
        return err_set(ERR_LIMIT, "--bars: more than %u bars of %s", REPLAY_BARS_MAX, series->ins->symbol);
    }
    if (series->count == series->room) {
        const size_t more = series->room ? 2 * series->room : 1024;
        bar_t       *list = realloc(series->list, more * sizeof *list);
        if (!list) {
            return err_set(ERR_LIMIT, "no memory for %zu bars", more);
        }
        series->list = list;
        series->room = more;
    }
    series->list[series->count++] = *bar;
    return ERR_OK;
}

err_t replay_bars_trade(bar_series_t *series, int64_t ts_ns, int64_t px, int64_t qty)
{
    bar_t bar;
    err_t err;
    series->trades++;
    while ((err = bars_trade(&series->bars, ts_ns, px, qty)) == ERR_FULL) {
        while ((err = bars_next(&series->bars, ts_ns, &bar)) == ERR_OK) {
            const err_t full = keep(series, &bar);
            if (full) {
                return full;
            }
        }
    }
    if (err == ERR_OK) {
        series->taken++;
        series->qty += qty;
        series->value += mul_i64(px, qty);
    }
    series->refused += err == ERR_ARG;
    return err == ERR_STATE || err == ERR_ARG ? ERR_OK : err;
}

err_t replay_bars_end(bar_series_t *series)
{
    bar_t bar;
    err_t err = ERR_OK;
    while (!err && bars_next(&series->bars, INT64_MIN, &bar) == ERR_OK) {
        err = keep(series, &bar);
    }
    if (!err && bars_open(&series->bars, &bar)) {
        err          = keep(series, &bar);
        series->open = true;
    }
    uint64_t trades = 0;
    i128_t   qty = 0, value = 0;
    for (size_t i = 0; i < series->count; i++) {
        trades += series->list[i].trades;
        qty += series->list[i].qty;
        value += series->list[i].value;
    }
    if (!err && (trades != series->taken || qty != series->qty || value != series->value ||
                 series->trades != series->taken + series->refused + series->bars.late)) {
        return err_set(ERR_INTERNAL, "bars of %s hold %" PRIu64 " trades, %" PRIu64 " of %" PRIu64 " were taken",
                       series->ins->symbol, trades, series->taken, series->trades);
    }
    return err;
}

/* ---- what comes out ---------------------------------------------------------------------------------------------- */
typedef struct number_text {
    char text[DECIMAL_TEXT_MAX];
} number_text_t;

static number_text_t number(i128_t value, unsigned exp)
{
    number_text_t out;
    decimal_format_i128(value, exp, out.text);
    return out;
}

void replay_bars_time(int64_t ts_ns, char out[REPLAY_BARS_TIME])
{
    const time_t  s  = (time_t)div_floor(ts_ns, NS_PER_S);
    const int64_t ns = ts_ns - (int64_t)s * NS_PER_S;
    struct tm     utc;
    gmtime_r(&s, &utc);
    const size_t len = strftime(out, REPLAY_BARS_TIME, "%Y-%m-%dT%H:%M:%S", &utc);
    if (ns) {
        (void)snprintf(out + len, REPLAY_BARS_TIME - len, ".%09" PRId64 "Z", ns);
    } else {
        (void)snprintf(out + len, REPLAY_BARS_TIME - len, "Z");
    }
}

json_t *replay_bars_json(const bar_series_t *s)
{
    const unsigned px = exp_of(s->ins->def.px_exp), qty = exp_of(s->ins->def.qty_exp);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "count", (json_int_t)s->count, "complete",
                     (json_int_t)(s->count - s->open), "trades", (json_int_t)s->trades, "late",
                     (json_int_t)s->bars.late, "refused", (json_int_t)s->refused, "volume", number(s->qty, qty).text,
                     "value", number(s->value, px + qty).text);
}

void replay_bars_text(FILE *to, const char *indent, const bar_series_t *s)
{
    const unsigned px = exp_of(s->ins->def.px_exp), qty = exp_of(s->ins->def.qty_exp);
    fprintf(to,
            "%sbars: %zu, %zu of them complete; they add up to %" PRIu64 " of %" PRIu64 " trades (%" PRIu64
            " late, %" PRIu64 " without a quantity), volume %s, value %s\n",
            indent, s->count, s->count - s->open, s->taken, s->trades, s->bars.late, s->refused,
            number(s->qty, qty).text, number(s->value, px + qty).text);
}

void replay_bars_csv(FILE *to, const bar_series_t *s, const char *market, bool head)
{
    const unsigned px = exp_of(s->ins->def.px_exp), qty = exp_of(s->ins->def.qty_exp);
    if (head) {
        fputs("symbol,market,begin,end,open,high,low,close,volume,value,trades,complete\n", to);
    }
    for (size_t i = 0; i < s->count; i++) {
        const bar_t  *b        = &s->list[i];
        const int64_t prices[] = {b->open, b->high, b->low, b->close};
        char          begin[REPLAY_BARS_TIME], end[REPLAY_BARS_TIME];
        replay_bars_time(b->ts_begin_ns, begin);
        replay_bars_time(b->ts_end_ns, end);
        fprintf(to, "%s,%s,%s,%s,", s->ins->symbol, market, begin, end);
        for (size_t k = 0; k < 4; k++) {
            fprintf(to, "%s,", b->known & BAR_PX ? number(prices[k], px).text : "");
        }
        fprintf(to, "%s,%s,%" PRIu64 ",%d\n", number(b->qty, qty).text, number(b->value, px + qty).text, b->trades,
                !(s->open && i + 1 == s->count));
    }
}
