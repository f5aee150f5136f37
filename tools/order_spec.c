#include "tools/order_spec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/types/decimal.h"
#include "core/types/num.h"
#include "tools/limit_text.h"

#define SLICES_MAX 255

/* ---- the options ------------------------------------------------------------------------------------------------------ */
bool order_spec_option(order_spec_t *s, int c, const char *value)
{
    switch (c) {
    case ORDER_SPEC_LIMIT: s->limit = value; return true;
    case ORDER_SPEC_STOP: s->stop = value; return true;
    case ORDER_SPEC_TRAIL: s->trail = value; return true;
    case ORDER_SPEC_TOUCH: s->touch = value; return true;
    case ORDER_SPEC_DISPLAY: s->display = value; return true;
    case ORDER_SPEC_UNTIL: s->until = value; return true;
    case ORDER_SPEC_OVER: s->over = value; return true;
    case ORDER_SPEC_TIF: s->tif = value; return true;
    case ORDER_SPEC_TRIGGER: s->trigger = value; return true;
    case ORDER_SPEC_ALGO: s->algo = value; return true;
    case ORDER_SPEC_SLICES: s->slices = value; return true;
    case ORDER_SPEC_ACCOUNT: s->account = value; return true;
    case ORDER_SPEC_USER_REF: s->user_ref = value; return true;
    case ORDER_SPEC_POST_ONLY: return s->post_only = true;
    case ORDER_SPEC_REDUCE_ONLY: return s->reduce_only = true;
    case ORDER_SPEC_MARKET: return true; /* what an order without a price is */
    case ORDER_SPEC_MARKET_TO_LIMIT: return s->market_to_limit = true;
    case ORDER_SPEC_OPEN: return s->open = true;
    case ORDER_SPEC_CLOSE: return s->close = true;
    default: return false;
    }
}

typedef struct word {
    const char *word;
    uint8_t     value;
} word_t;

static err_t word_take(const char *option, const char *text, const word_t *words, size_t count, uint8_t *out)
{
    char   list[128] = "";
    size_t n         = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *out = words[i].value;
            return ERR_OK;
        }
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", words[i].word);
    }
    return err_set(ERR_ARG, "%s %s: must be one of %s", option, text, list);
}
#define WORDS(option, text, list, out) word_take(option, text, list, sizeof list / sizeof list[0], out)

/* ---- numbers ---------------------------------------------------------------------------------------------------------- */
static err_t px_take(const char *option, const char *text, const instrument_t *ins, int64_t *out)
{
    char        below[DECIMAL_TEXT_MAX], above[DECIMAL_TEXT_MAX];
    const int   exp = ins->def.px_exp;
    int64_t     px;
    const err_t err = decimal_parse(text, strlen(text), (unsigned)exp, &px);
    if (err) {
        return err_set(ERR_ARG, "%s %s: no price of %s: a decimal with at most %d places", option, text, ins->symbol,
                       exp);
    }
    if (!instrument_on_tick(ins, px)) {
        decimal_format(instrument_round_down(ins, px), (unsigned)exp, below);
        decimal_format(instrument_round_up(ins, px), (unsigned)exp, above);
        return err_set(ERR_ARG, "%s %s: not on the tick of %s; nearest: %s, %s", option, text, ins->symbol, below,
                       above);
    }
    *out = px;
    return ERR_OK;
}

static err_t distance_take(const char *option, const char *text, const instrument_t *ins, int64_t *out)
{
    int64_t distance;
    if (decimal_parse(text, strlen(text), (unsigned)ins->def.px_exp, &distance) != ERR_OK || distance <= 0) {
        return err_set(ERR_ARG, "%s %s: no distance in price of %s: a decimal above 0 with at most %d places", option,
                       text, ins->symbol, ins->def.px_exp);
    }
    *out = distance;
    return ERR_OK;
}

static err_t qty_take(const char *option, const char *text, const instrument_t *ins, int64_t *out)
{
    char          below[DECIMAL_TEXT_MAX], above[DECIMAL_TEXT_MAX];
    const int     exp = ins->def.qty_exp;
    const int64_t lot = ins->def.lot;
    int64_t       qty;
    if (decimal_parse(text, strlen(text), (unsigned)exp, &qty) != ERR_OK || qty <= 0) {
        return err_set(ERR_ARG, "%s %s: no quantity of %s: a decimal above 0 with at most %d places", option, text,
                       ins->symbol, exp);
    }
    const int64_t over = qty % lot;
    if (over != 0 || qty < ins->def.min_qty) {
        const int64_t low = max_i64(qty - over, ins->def.min_qty);
        decimal_format(low, (unsigned)exp, below);
        decimal_format(low <= INT64_MAX - lot ? low + lot : low, (unsigned)exp, above);
        return err_set(ERR_ARG, "%s %s: %s of %s; nearest: %s%s%s", option, text,
                       over ? "not on the lot" : "below the least quantity", ins->symbol, below, low < qty ? ", " : "",
                       low < qty ? above : "");
    }
    *out = qty;
    return ERR_OK;
}

/* ---- times ------------------------------------------------------------------------------------------------------------ */
static bool whole_clock(const char *text, int64_t utc_ns, int64_t *out)
{
    struct tm    day;
    const time_t now  = (time_t)(utc_ns / NS_PER_S);
    struct tm    t    = {0};
    const char  *rest = strptime(text, "%H:%M:%S", &t);
    rest              = rest ? rest : strptime(text, "%H:%M", &t);
    if (!rest || (*rest != '\0' && strcmp(rest, "Z") != 0) || !gmtime_r(&now, &day)) {
        return false;
    }
    day.tm_hour      = t.tm_hour;
    day.tm_min       = t.tm_min;
    day.tm_sec       = t.tm_sec;
    const int64_t at = (int64_t)timegm(&day) * NS_PER_S;
    *out             = at > utc_ns ? at : at + NS_PER_DAY;
    return true;
}

static bool whole_date(const char *text, int64_t *out)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm   t    = {0};
        const char *rest = strptime(text, forms[i], &t);
        if (rest && (*rest == '\0' || strcmp(rest, "Z") == 0)) {
            return fit_i64(mul_i64((int64_t)timegm(&t), NS_PER_S), out);
        }
    }
    return false;
}

err_t order_spec_time(const char *text, int64_t utc_ns, int64_t *out)
{
    int64_t ns;
    if (*text == '+' && limit_duration(text + 1, strlen(text + 1), &ns) && ns > 0 &&
        fit_i64((i128_t)utc_ns + ns, out)) {
        return ERR_OK;
    }
    return whole_clock(text, utc_ns, out) || whole_date(text, out)
               ? ERR_OK
               : err_set(ERR_ARG, "\"%s\" is no time: 15:30, 15:30:20, 2026-01-31T15:30 (UTC), or +90m from now", text);
}

/* ---- terms ------------------------------------------------------------------------------------------------------------ */
static err_t end_take(const order_spec_t *s, int64_t utc_ns, order_terms_req_t *out)
{
    int64_t ns;
    if (s->until && s->over) {
        return err_set(ERR_ARG, "--until and --over both say when it ends");
    }
    if (s->over) {
        if (!limit_duration(s->over, strlen(s->over), &ns) || ns <= 0 ||
            !fit_i64((i128_t)utc_ns + ns, &out->expire_utc_ns)) {
            return err_set(ERR_ARG, "--over %s: no time span (90s, 10m, 2h)", s->over);
        }
        return ERR_OK;
    }
    const err_t err = s->until ? order_spec_time(s->until, utc_ns, &out->expire_utc_ns) : ERR_OK;
    return err                                        ? err_wrap(err, "--until")
           : s->until && out->expire_utc_ns <= utc_ns ? err_set(ERR_ARG, "--until %s: that time is over", s->until)
                                                      : ERR_OK;
}

err_t order_spec_change(const order_spec_t *s, const instrument_t *ins, int64_t utc_ns, order_terms_req_t *t)
{
    err_t err = s->qty ? qty_take("quantity", s->qty, ins, &t->qty) : ERR_OK;
    err       = err || !s->limit ? err : px_take("--limit", s->limit, ins, &t->px);
    err       = err || !s->stop ? err : px_take("--stop", s->stop, ins, &t->stop_px);
    err       = err || !s->touch ? err : px_take("--touch", s->touch, ins, &t->stop_px);
    err       = err || !s->trail ? err : distance_take("--trail", s->trail, ins, &t->trail);
    err       = err || !s->display ? err : qty_take("--display", s->display, ins, &t->display_qty);
    return err ? err : end_take(s, utc_ns, t);
}

static ord_type_t type_of(const order_spec_t *s)
{
    if (s->trail) {
        return s->limit ? ORD_TYPE_TRAILING_STOP_LIMIT : ORD_TYPE_TRAILING_STOP;
    }
    if (s->stop) {
        return s->limit ? ORD_TYPE_STOP_LIMIT : ORD_TYPE_STOP;
    }
    if (s->touch) {
        return s->limit ? ORD_TYPE_LIMIT_IF_TOUCHED : ORD_TYPE_MARKET_IF_TOUCHED;
    }
    return s->market_to_limit ? ORD_TYPE_MARKET_TO_LIMIT : s->limit ? ORD_TYPE_LIMIT : ORD_TYPE_MARKET;
}

static err_t words_take(const order_spec_t *s, order_terms_req_t *out)
{
    static const word_t sides[]    = {{"buy", SIDE_BUY}, {"sell", SIDE_SELL}};
    static const word_t tifs[]     = {{"day", TIF_DAY}, {"gtc", TIF_GTC}, {"ioc", TIF_IOC}, {"fok", TIF_FOK},
                                      {"gtd", TIF_GTD}, {"opg", TIF_OPG}, {"atc", TIF_ATC}};
    static const word_t triggers[] = {{"last", TRIGGER_LAST}, {"best", TRIGGER_BEST}, {"mid", TRIGGER_MID}};
    static const word_t algos[]    = {{"twap", ALGO_TWAP}, {"vwap", ALGO_VWAP}, {"iceberg", ALGO_ICEBERG}};
    err_t               err        = WORDS("side", s->side, sides, &out->side);
    err                            = err || !s->tif ? err : WORDS("--tif", s->tif, tifs, &out->tif);
    err                            = err || !s->trigger ? err : WORDS("--trigger", s->trigger, triggers, &out->trigger);
    return err || !s->algo ? err : WORDS("--algo", s->algo, algos, &out->algo);
}

static err_t number_take(const char *option, const char *text, int64_t low, int64_t high, int64_t *out)
{
    return decimal_parse(text, strlen(text), 0, out) == ERR_OK && *out >= low && *out <= high
               ? ERR_OK
               : err_set(ERR_ARG, "%s %s: a number from %" PRId64 " to %" PRId64, option, text, low, high);
}

/* What contradicts itself, before the engine is asked. */
static err_t contradiction(const order_spec_t *s, const order_terms_req_t *t)
{
    const bool timed = t->algo == ALGO_TWAP || t->algo == ALGO_VWAP;
    if (s->touch && (s->stop || s->trail)) {
        return err_set(ERR_ARG, "--touch and --%s: one of them", s->stop ? "stop" : "trail");
    }
    if (s->market_to_limit && (s->limit || s->stop || s->trail || s->touch)) {
        return err_set(ERR_ARG, "--market-to-limit takes no price");
    }
    if (s->open && s->close) {
        return err_set(ERR_ARG, "--open and --close: one of them");
    }
    if ((t->tif == TIF_GTD) != (t->expire_utc_ns != 0) && !timed) {
        return t->expire_utc_ns ? err_set(ERR_ARG, "--until goes with --tif gtd (or with an algorithm)")
                                : err_set(ERR_ARG, "--tif gtd: until when? (--until 15:30, --until +90m)");
    }
    if (timed && t->expire_utc_ns == 0) {
        return err_set(ERR_ARG, "--algo %s: over what time? (--over 10m, --until 15:30)", s->algo);
    }
    if ((s->slices && !timed) || (s->over && !timed)) {
        return err_set(ERR_ARG, "--%s goes with --algo twap or vwap", s->slices ? "slices" : "over");
    }
    if (t->algo == ALGO_ICEBERG && (!s->display || !s->limit)) {
        return err_set(ERR_ARG, "--algo iceberg: --display QTY and --limit PX are missing, or one of them");
    }
    if (t->display_qty > t->qty) {
        return err_set(ERR_ARG, "--display %s: more than the quantity, %s", s->display, s->qty);
    }
    if (s->trigger && t->stop_px == 0 && t->trail == 0) {
        return err_set(ERR_ARG, "--trigger goes with --stop, --trail or --touch");
    }
    return ERR_OK;
}

static tif_t tif_of(const order_terms_req_t *t)
{
    return t->tif ? (tif_t)t->tif : t->expire_utc_ns ? TIF_GTD : t->ord_type == ORD_TYPE_MARKET ? TIF_IOC : TIF_DAY;
}

/* Up to 16 bytes of a desk's own reference, in the correlation id. */
static err_t reference_take(const char *text, order_terms_req_t *out)
{
    char bytes[16] = {0};
    if (strlen(text) == 0 || strlen(text) > sizeof bytes) {
        return err_set(ERR_ARG, "--user-ref %s: 1 to %zu bytes", text, sizeof bytes);
    }
    memcpy(bytes, text, strlen(text));
    memcpy(&out->corr_hi, bytes, 8);
    memcpy(&out->corr_lo, bytes + 8, 8);
    return ERR_OK;
}

err_t order_spec_build(const order_spec_t *s, const instrument_t *ins, int64_t utc_ns, order_terms_req_t *out)
{
    int64_t number  = 0;
    *out            = (order_terms_req_t){.instrument_id = ins->def.instrument_id, .action = ORDER_ACTION_NEW};
    err_t err       = words_take(s, out);
    err             = err ? err : order_spec_change(s, ins, utc_ns, out);
    err             = err || !s->slices ? err : number_take("--slices", s->slices, 1, SLICES_MAX, &number);
    out->algo_arg   = (uint8_t)number;
    number          = 0;
    err             = err || !s->account ? err : number_take("--account", s->account, 1, UINT32_MAX, &number);
    out->account_id = (uint32_t)number;
    err             = err || !s->user_ref ? err : reference_take(s->user_ref, out);
    out->ord_type   = (uint8_t)type_of(s);
    out->tif        = (uint8_t)tif_of(out);
    out->exec_inst =
        (uint16_t)((s->post_only ? EXEC_INST_POST_ONLY : 0) | (s->reduce_only ? EXEC_INST_REDUCE_ONLY : 0));
    out->position_effect = s->open ? POSITION_EFFECT_OPEN : s->close ? POSITION_EFFECT_CLOSE : POSITION_EFFECT_NONE;
    return err ? err : contradiction(s, out);
}

bool order_spec_plain(const order_terms_req_t *t)
{
    return t->ord_type <= ORD_TYPE_LIMIT && t->tif != TIF_GTD && t->tif != TIF_OPG && t->tif != TIF_ATC &&
           t->stop_px == 0 && t->trail == 0 && t->display_qty == 0 && t->expire_utc_ns == 0 && t->list_id == 0 &&
           t->contingency == CONTINGENCY_NONE && t->trigger == TRIGGER_NONE && t->algo == ALGO_NONE;
}
