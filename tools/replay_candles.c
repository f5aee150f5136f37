#include "tools/replay_candles.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/files/candles.h"
#include "core/analytics/indicators.h"
#include "core/analytics/quality.h"
#include "core/types/decimal.h"
#include "core/types/time.h"
#include "tools/command.h"
#include "tools/replay_bars.h"
#include "tools/summary.h"

#define CANDLES_MAX (1u << 20) /* of a file */
#define EXP 8u                 /* decimals of prices and quantities */
#define FINDINGS_SHOWN 20u
#define GAP_CANDLES 5 /* so many lengths of a candle without one are a gap */
#define NEAR 1e-13L   /* of the other volume: what sums of the venue's own doubles differ by */

typedef struct candle_file {
    const char         *path;
    candles_t           candles;
    quality_finding_t  *findings;
    size_t              finding_count, bad; /* bad: candles with a finding */
    uint64_t            by_rule[QUALITY_RULES];
    indicators_value_t *values; /* of each candle; NULL = not asked for */
} candle_file_t;

typedef struct candles_replay {
    /* options */
    bool        check, json, strict, indicators;
    const char *against, *overlap, *csv;
    int64_t     fold_minutes, ratio; /* 0 = not asked for */
    /* state */
    candle_file_t *files;
    uint32_t       count;
    candle_file_t  other; /* --against, --overlap */
    /* result */
    uint64_t checked, mismatched;
    json_t  *errors;
} candles_replay_t;

static void usage(void)
{
    fputs(
        "usage: hwal replay --candles FILE... [--fold MINUTES --against FILE] [--overlap FILE --ratio N]\n"
        "                              [--indicators] [--csv FILE] [--check] [--strict] [--json]\n\n"
        "Read candles (Upbit JSON as its public API returns it, KRX daily CSV; gzip or plain; told apart by the text), "
        "judge\n"
        "each series by the rules of quality, and compare.\n\n"
        "  --fold MINUTES     fold the candles of the one FILE to so many minutes ...\n"
        "  --against FILE     ... and compare with these\n"
        "  --overlap FILE     compare the closes of the one FILE with these on the days that both have:\n"
        "  --ratio N          ... FILE's is N times the other's (a split N for 1 between the recordings; default 1)\n"
        "  --indicators       RSI, averages, MACD, Bollinger, ATR, volume ratio, volatility at the last candle\n"
        "  --csv FILE         candles and indicators of the whole series as CSV, - for stdout; unknown is empty\n"
        "  --check            what can be checked is, anyway; says also that nothing was compared\n"
        "  --strict           findings of quality are faults (exit 1)\n"
        "  --json             one JSON object on stdout\n\n"
        "Exit code: 0 ok, also with findings of quality; 1 a fault of a file or a difference (named); 2 usage.\n\n"
        "examples:\n"
        "  hwal replay --candles upbit_1m.json --fold 3 --against upbit_3m.json --check\n"
        "  hwal replay --candles 005930_1985_2018.csv.gz --overlap 005930_2018_2021.csv.gz --ratio 50\n"
        "  hwal replay --candles 005930.csv.gz --indicators --csv - | tail -n 5\n",
        stdout);
}

bool replay_candles_asked(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--candles") == 0) {
            return true;
        }
    }
    return false;
}

static void fault(candles_replay_t *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fault(candles_replay_t *r, const char *fmt, ...)
{
    char    text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    json_array_append_new(r->errors, command_text(text));
}

/* ---- reading and judging ----------------------------------------------------------------------------------------- */
static int64_t length_ns(const candle_file_t *f)
{
    return f->candles.bars[0].ts_end_ns - f->candles.bars[0].ts_begin_ns;
}

static bool is_upbit(const candle_file_t *f)
{
    return f->candles.market[0] != 0;
}

/* Place of a candle in the file, from 1: Upbit's newest is first there. */
static size_t row_of(const candle_file_t *f, size_t index)
{
    return is_upbit(f) ? f->candles.count - index : index + 1;
}

static err_t candle_read(candle_file_t *f, const char *path)
{
    *f              = (candle_file_t){.path = path, .candles = {.room = CANDLES_MAX, .px_exp = EXP, .qty_exp = EXP}};
    f->candles.bars = malloc(CANDLES_MAX * sizeof *f->candles.bars); /* only what is read is ever touched */
    return f->candles.bars ? candles_read(path, &f->candles) : err_set(ERR_LIMIT, "%s: out of memory", path);
}

static void candle_free(candle_file_t *f)
{
    free(f->candles.bars);
    free(f->findings);
    free(f->values);
}

static err_t judge(candle_file_t *f)
{
    quality_limits_t limits = QUALITY_LIMITS_USUAL;
    const int64_t    gap_ns = GAP_CANDLES * length_ns(f);
    const size_t     room   = f->candles.count * QUALITY_RULES;
    limits.gap_ns           = gap_ns > limits.gap_ns ? gap_ns : limits.gap_ns;
    f->findings             = malloc(room * sizeof *f->findings);
    if (!f->findings) {
        return err_set(ERR_LIMIT, "%s: out of memory", f->path);
    }
    const err_t err = quality_check(f->candles.bars, f->candles.count, &limits, f->findings, room, &f->finding_count);
    for (size_t i = 0; !err && i < f->finding_count; i++) {
        f->by_rule[f->findings[i].rule]++;
        f->bad += i == 0 || f->findings[i].index != f->findings[i - 1].index;
    }
    return err;
}

static double plain(i128_t value)
{
    return (double)value / (double)pow10_i64(EXP);
}

static err_t indicate(candle_file_t *f)
{
    const size_t      n    = f->candles.count;
    indicators_bar_t *bars = malloc(n * sizeof *bars);
    f->values              = malloc(n * sizeof *f->values);
    err_t err              = bars && f->values ? ERR_OK : err_set(ERR_LIMIT, "out of memory");
    for (size_t i = 0; !err && i < n; i++) {
        const bar_t *b = &f->candles.bars[i];
        bars[i]        = (indicators_bar_t){plain(b->high), plain(b->low), plain(b->close), plain(b->qty)};
    }
    err = err ? err : indicators_series(bars, n, f->values);
    free(bars);
    return err ? err_wrap(err, "%s", f->path) : ERR_OK;
}

/* ---- the oracles ------------------------------------------------------------------------------------------------- */
static bool near(i128_t a, i128_t b)
{
    return fabsl((long double)(a - b)) <= NEAR * fabsl((long double)b);
}

static bool same(const bar_t *a, const bar_t *b)
{
    const bool value = !(a->known & b->known & BAR_KNOWS_VALUE) || near(a->value, b->value);
    return a->ts_begin_ns == b->ts_begin_ns && a->ts_end_ns == b->ts_end_ns && a->open == b->open &&
           a->high == b->high && a->low == b->low && a->close == b->close && near(a->qty, b->qty) && value;
}

/* Folded candles into out, room for as many as there are small ones; how many. */
static err_t fold(const candle_file_t *f, int64_t minutes, bar_t *out, size_t *count)
{
    bars_t b;
    err_t  err = bars_init(&b, BAR_TIME, mul_i64(minutes, 60 * NS_PER_S));
    *count     = 0;
    for (size_t i = 0; !err && i < f->candles.count; i++) {
        const bar_t *part = &f->candles.bars[i];
        while ((err = bars_fold(&b, part)) == ERR_FULL) {
            bar_t bar;
            if (bars_next(&b, part->ts_begin_ns, &bar) == ERR_OK && (bar.known & BAR_PX)) {
                out[(*count)++] = bar; /* without a price: nobody traded, and a venue shows no candle */
            }
        }
    }
    bar_t bar;
    if (!err && bars_open(&b, &bar)) {
        out[(*count)++] = bar;
    }
    return err ? err_wrap(err, "%s", f->path) : ERR_OK;
}

static err_t fold_compare(candles_replay_t *r)
{
    const candle_file_t *small = &r->files[0], *large = &r->other;
    bar_t               *folded = malloc((small->candles.count + 1) * sizeof *folded);
    size_t               count = 0, at = 0;
    err_t err = folded ? fold(small, r->fold_minutes, folded, &count) : err_set(ERR_LIMIT, "out of memory");
    for (size_t i = 0; !err && i < large->candles.count; i++) {
        const bar_t *want = &large->candles.bars[i];
        while (at < count && folded[at].ts_begin_ns < want->ts_begin_ns) {
            at++;
        }
        r->checked++;
        if (at < count && same(&folded[at], want)) {
            continue;
        }
        char when[REPLAY_BARS_TIME];
        replay_bars_time(want->ts_begin_ns, when);
        const bool there = at < count && folded[at].ts_begin_ns == want->ts_begin_ns;
        if (r->mismatched++ == 0) {
            fault(r, "%s: candle %zu of %s: %s %s", large->path, row_of(large, i), when,
                  there ? "differs from those folded of" : "is not among those folded of", small->path);
        }
    }
    free(folded);
    return err;
}

static err_t overlap_compare(candles_replay_t *r)
{
    const candle_file_t *a = &r->files[0], *b = &r->other;
    for (size_t i = 0, k = 0; i < a->candles.count; i++) {
        const bar_t *x = &a->candles.bars[i];
        while (k < b->candles.count && b->candles.bars[k].ts_begin_ns < x->ts_begin_ns) {
            k++;
        }
        const bar_t *y = &b->candles.bars[k];
        if (k == b->candles.count || y->ts_begin_ns != x->ts_begin_ns) {
            continue;
        }
        r->checked++;
        if (x->close != mul_i64(y->close, r->ratio) && r->mismatched++ == 0) {
            char when[REPLAY_BARS_TIME], one[DECIMAL_TEXT_MAX], two[DECIMAL_TEXT_MAX];
            replay_bars_time(x->ts_begin_ns, when);
            decimal_format(x->close, EXP, one);
            decimal_format(y->close, EXP, two);
            fault(r, "%s: candle %zu of %s: close %s is not %" PRId64 " times %s of %s", a->path, row_of(a, i), when,
                  one, r->ratio, two, b->path);
        }
    }
    return r->checked ? ERR_OK : err_set(ERR_NOT_FOUND, "%s and %s have no candle in common", a->path, b->path);
}

/* ---- CSV --------------------------------------------------------------------------------------------------------- */
static const char *const indicator_name[] = {
    "rsi14",     "sma20",    "sma50",     "sma200",   "ema12",    "ema26", "macd",         "macd_signal",
    "macd_hist", "bb_upper", "bb_middle", "bb_lower", "bb_width", "atr14", "volume_ratio", "hist_vol20"};
#define INDICATORS (sizeof indicator_name / sizeof indicator_name[0])
_Static_assert(sizeof(indicators_value_t) == INDICATORS * sizeof(double), "named in order, all of them");

static double indicator(const indicators_value_t *v, size_t i)
{
    double value;
    memcpy(&value, (const char *)v + i * sizeof value, sizeof value);
    return value;
}

/* Exact, without the zeros at the end that no file wrote. */
static const char *trimmed(i128_t value, unsigned exp, char out[DECIMAL_TEXT_MAX])
{
    size_t len = decimal_format_i128(value, exp, out);
    while (strchr(out, '.') && (out[len - 1] == '0' || out[len - 1] == '.')) {
        out[--len] = 0;
    }
    return out;
}

static void file_csv(FILE *to, const candle_file_t *f)
{
    for (size_t i = 0; i < f->candles.count; i++) {
        const bar_t *b         = &f->candles.bars[i];
        const i128_t numbers[] = {b->open, b->high, b->low, b->close, b->qty};
        char         when[REPLAY_BARS_TIME], text[DECIMAL_TEXT_MAX];
        replay_bars_time(b->ts_begin_ns, when);
        fprintf(to, "%s,%s", f->candles.market, when);
        for (size_t k = 0; k < 5; k++) {
            fprintf(to, ",%s", trimmed(numbers[k], EXP, text));
        }
        for (size_t k = 0; f->values && k < INDICATORS; k++) {
            const double v = indicator(&f->values[i], k);
            if (isnan(v)) {
                fputc(',', to);
            } else {
                fprintf(to, ",%.10g", v);
            }
        }
        fputc('\n', to);
    }
}

static err_t csv_write(const candles_replay_t *r)
{
    FILE *to = strcmp(r->csv, "-") == 0 ? stdout : fopen(r->csv, "we");
    if (!to) {
        return err_set(ERR_IO, "--csv %s: %s", r->csv, strerror(errno));
    }
    fputs("market,begin,open,high,low,close,volume", to);
    for (size_t k = 0; r->indicators && k < INDICATORS; k++) {
        fprintf(to, ",%s", indicator_name[k]);
    }
    fputc('\n', to);
    for (uint32_t i = 0; i < r->count; i++) {
        file_csv(to, &r->files[i]);
    }
    const bool bad = ferror(to) || fflush(to) != 0;
    if (to != stdout && fclose(to) != 0) {
        return err_set(ERR_IO, "--csv %s: %s", r->csv, strerror(errno));
    }
    return bad ? err_set(ERR_IO, "--csv %s: cannot be written", r->csv) : ERR_OK;
}

/* ---- JSON and text ----------------------------------------------------------------------------------------------- */
static json_t *candle_json(const bar_t *b)
{
    char when[REPLAY_BARS_TIME], text[6][DECIMAL_TEXT_MAX];
    replay_bars_time(b->ts_begin_ns, when);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "time", when, "open", trimmed(b->open, EXP, text[0]),
                          "high", trimmed(b->high, EXP, text[1]), "low", trimmed(b->low, EXP, text[2]), "close",
                          trimmed(b->close, EXP, text[3]), "volume", trimmed(b->qty, EXP, text[4]));
    if (b->known & BAR_KNOWS_VALUE) {
        json_object_set_new(o, "value", json_string(trimmed(b->value, 2 * EXP, text[5])));
    }
    return o;
}

static json_t *quality_list(const candle_file_t *f)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->finding_count && i < FINDINGS_SHOWN; i++) {
        const quality_finding_t *q = &f->findings[i];
        char                     when[REPLAY_BARS_TIME];
        const bool               price =
            q->rule == QUALITY_PX || q->rule == QUALITY_LOW || q->rule == QUALITY_HIGH || q->rule == QUALITY_QTY;
        const double scale = price ? (double)pow10_i64(EXP) : 1;
        replay_bars_time(f->candles.bars[q->index].ts_begin_ns, when);
        json_array_append_new(list, json_pack("{s:I, s:s, s:s, s:f, s:f}", "row", (json_int_t)row_of(f, q->index),
                                              "time", when, "rule", quality_rule_str(q->rule), "value",
                                              q->value / scale, "limit", q->limit / scale));
    }
    return list;
}

static json_t *file_json(const candle_file_t *f)
{
    const candles_t *c       = &f->candles;
    json_t          *quality = summary_quality(c->count, "bars", f->bad, f->by_rule);
    json_object_set_new(quality, "list", quality_list(f));
    json_t *o      = json_pack("{s:o, s:s, s:o, s:I, s:I, s:o, s:o, s:o}", "file", command_text(f->path), "kind",
                          is_upbit(f) ? "upbit" : "krx", "market", command_text(c->market), "candles",
                               (json_int_t)c->count, "seconds", (json_int_t)(length_ns(f) / NS_PER_S), "first",
                               candle_json(&c->bars[0]), "last", candle_json(&c->bars[c->count - 1]), "quality", quality);
    json_t *values = f->values ? json_object() : NULL;
    for (size_t k = 0; values && k < INDICATORS; k++) {
        const double v = indicator(&f->values[c->count - 1], k);
        json_object_set_new(values, indicator_name[k], isnan(v) ? json_null() : json_real(v));
    }
    if (values) {
        json_object_set_new(o, "indicators", values);
    }
    return o;
}

static json_t *result_json(const candles_replay_t *r)
{
    json_t *files = json_array();
    for (uint32_t i = 0; i < r->count; i++) {
        json_array_append_new(files, file_json(&r->files[i]));
    }
    json_t *o = json_pack("{s:s, s:s, s:o}", "command", "replay", "format", "candles", "files", files);
    if (r->against || r->overlap) {
        json_object_set_new(o, "oracle",
                            json_pack("{s:s, s:I, s:I}", "kind", r->against ? "fold" : "overlap", "checked",
                                      (json_int_t)r->checked, "mismatched", (json_int_t)r->mismatched));
    }
    json_object_set(o, "errors", r->errors);
    return o;
}

static void file_text(FILE *to, const json_t *f)
{
    const char   *keys[]  = {"time", "open", "high", "low", "close", "volume"};
    const json_t *quality = json_object_get(f, "quality");
    const char   *key;
    json_t       *value;
    size_t        i;
    const char   *market = json_string_value(json_object_get(f, "market")); /* empty where the file does not say it */
    fprintf(to, "%s: %s%s%s, %" JSON_INTEGER_FORMAT " candles of %" JSON_INTEGER_FORMAT " s\n",
            json_string_value(json_object_get(f, "file")), json_string_value(json_object_get(f, "kind")),
            *market ? " " : "", market, json_integer_value(json_object_get(f, "candles")),
            json_integer_value(json_object_get(f, "seconds")));
    for (int last = 0; last < 2; last++) {
        fputs(last ? "  last " : "  first", to);
        for (size_t k = 0; k < 6; k++) {
            fprintf(to, " %s %s", keys[k],
                    json_string_value(json_object_get(json_object_get(f, last ? "last" : "first"), keys[k])));
        }
        fputc('\n', to);
    }
    if (json_integer_value(json_object_get(quality, "bad"))) {
        summary_quality_text(to, "  ", quality);
    }
    json_array_foreach(json_object_get(quality, "list"), i, value)
    {
        fprintf(to, "    row %" JSON_INTEGER_FORMAT " %s: %s %.10g, limit %.10g\n",
                json_integer_value(json_object_get(value, "row")), json_string_value(json_object_get(value, "time")),
                json_string_value(json_object_get(value, "rule")), json_real_value(json_object_get(value, "value")),
                json_real_value(json_object_get(value, "limit")));
    }
    json_int_t more = -(json_int_t)i;
    json_object_foreach(json_object_get(quality, "findings"), key, value)
    {
        more += json_integer_value(value);
    }
    if (more > 0) {
        fprintf(to, "    and %" JSON_INTEGER_FORMAT " more\n", more);
    }
    json_object_foreach(json_object_get(f, "indicators"), key, value)
    {
        if (json_is_real(value)) {
            fprintf(to, "  %-13s %.10g\n", key, json_real_value(value));
        } else {
            fprintf(to, "  %-13s unknown\n", key);
        }
    }
}

static void print(const candles_replay_t *r)
{
    json_t *o  = result_json(r);
    FILE   *to = r->csv && strcmp(r->csv, "-") == 0 ? stderr : stdout; /* stdout is the CSV then */
    if (r->json) {
        json_dumpf(o, to, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
        fputc('\n', to);
    } else {
        size_t  i;
        json_t *f;
        json_array_foreach(json_object_get(o, "files"), i, f)
        {
            file_text(to, f);
        }
        if (r->against || r->overlap) {
            fprintf(to, "oracle: %" PRIu64 " candles checked against %s, %" PRIu64 " differ\n", r->checked,
                    r->other.path, r->mismatched);
        } else if (r->check) {
            fputs("oracle: none: candles are compared with --fold and --against, or --overlap (--candles --help)\n",
                  to);
        }
    }
    json_decref(o);
}

/* ---- the command ------------------------------------------------------------------------------------------------- */
static bool number(const char *name, int64_t high, int64_t *out)
{
    const bool good = decimal_parse(optarg, strlen(optarg), 0, out) == ERR_OK && *out >= 1 && *out <= high;
    if (!good) {
        command_error("replay", EXIT_USAGE, "--%s \"%s\" is no whole number from 1 to %" PRId64, name, optarg, high);
    }
    return good;
}

static int options_fit(const candles_replay_t *r, char **argv, int files)
{
    if (files < 1) {
        return command_error("replay", EXIT_USAGE, "--candles needs a file (--candles --help)");
    }
    if (!r->fold_minutes != !r->against) {
        return command_error("replay", EXIT_USAGE, "--fold MINUTES and --against FILE go together");
    }
    if (r->ratio && !r->overlap) {
        return command_error("replay", EXIT_USAGE, "--ratio goes with --overlap FILE");
    }
    if (r->against && r->overlap) {
        return command_error("replay", EXIT_USAGE, "--against and --overlap: one comparison at a time");
    }
    if ((r->against || r->overlap) && files > 1) {
        return command_error("replay", EXIT_USAGE, "\"%s\": one file is compared with another", argv[optind + 1]);
    }
    if (r->csv && r->json && strcmp(r->csv, "-") == 0) {
        return command_error("replay", EXIT_USAGE, "--json and --csv - both want stdout");
    }
    return EXIT_OK;
}

static int options(candles_replay_t *r, int argc, char **argv)
{
    enum {
        OPT_CANDLES = 256,
        OPT_FOLD,
        OPT_AGAINST,
        OPT_OVERLAP,
        OPT_RATIO,
        OPT_INDICATORS,
        OPT_CSV,
        OPT_CHECK,
        OPT_STRICT,
        OPT_JSON
    };
    static const struct option list[] = {{"candles", no_argument, NULL, OPT_CANDLES},
                                         {"fold", required_argument, NULL, OPT_FOLD},
                                         {"against", required_argument, NULL, OPT_AGAINST},
                                         {"overlap", required_argument, NULL, OPT_OVERLAP},
                                         {"ratio", required_argument, NULL, OPT_RATIO},
                                         {"indicators", no_argument, NULL, OPT_INDICATORS},
                                         {"csv", required_argument, NULL, OPT_CSV},
                                         {"check", no_argument, NULL, OPT_CHECK},
                                         {"strict", no_argument, NULL, OPT_STRICT},
                                         {"json", no_argument, NULL, OPT_JSON},
                                         {"help", no_argument, NULL, 'h'},
                                         {NULL, 0, NULL, 0}};
    int                        opt;
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "h", list, NULL)) != -1) {
        switch (opt) {
        case OPT_CANDLES: break;
        case OPT_FOLD:
            if (!number("fold", 10080, &r->fold_minutes)) {
                return EXIT_USAGE;
            }
            break;
        case OPT_AGAINST: r->against = optarg; break;
        case OPT_OVERLAP: r->overlap = optarg; break;
        case OPT_RATIO:
            if (!number("ratio", 1000000, &r->ratio)) {
                return EXIT_USAGE;
            }
            break;
        case OPT_INDICATORS: r->indicators = true; break;
        case OPT_CSV: r->csv = optarg; break;
        case OPT_CHECK: r->check = true; break;
        case OPT_STRICT: r->strict = true; break;
        case OPT_JSON: r->json = true; break;
        case 'h': usage(); return -1;
        default: return command_unknown("replay", argv);
        }
    }
    return options_fit(r, argv, argc - optind);
}

/* Every file that can be read is; a bad one is named and left out. */
static void files_read(candles_replay_t *r, char **paths, int count)
{
    for (int i = 0; i < count; i++) {
        candle_file_t *f   = &r->files[r->count];
        err_t          err = candle_read(f, paths[i]);
        err                = err ? err : judge(f);
        err                = err || !r->indicators ? err : indicate(f);
        if (err) {
            fault(r, "%s", err_msg());
            candle_free(f);
            continue;
        }
        r->count++;
        if (r->strict && f->finding_count) {
            const quality_finding_t *q = &f->findings[0];
            fault(r, "%s: %zu findings of quality, the first %s at row %zu", f->path, f->finding_count,
                  quality_rule_str(q->rule), row_of(f, q->index));
        }
    }
}

static void compare(candles_replay_t *r)
{
    const char *path = r->against ? r->against : r->overlap;
    if (!path || r->count == 0) {
        return;
    }
    err_t err = candle_read(&r->other, path);
    r->ratio  = r->ratio ? r->ratio : 1;
    err       = err ? err : r->against ? fold_compare(r) : overlap_compare(r);
    if (err) {
        fault(r, "%s", err_msg());
    }
}

int replay_candles_command(int argc, char **argv)
{
    candles_replay_t r    = {0};
    int              code = options(&r, argc, argv);
    if (code) {
        return code < 0 ? EXIT_OK : code;
    }
    r.errors = json_array();
    r.files  = calloc((size_t)(argc - optind), sizeof *r.files);
    if (!r.files) {
        json_decref(r.errors);
        return command_error("replay", EXIT_FINDING, "out of memory");
    }
    files_read(&r, argv + optind, argc - optind);
    compare(&r);
    if (r.csv && r.count && csv_write(&r)) {
        fault(&r, "%s", err_msg());
    }
    print(&r);
    size_t  i;
    json_t *text;
    json_array_foreach(r.errors, i, text)
    {
        code = command_error("replay", EXIT_FINDING, "%s", json_string_value(text));
    }
    for (uint32_t k = 0; k < r.count; k++) {
        candle_free(&r.files[k]);
    }
    candle_free(&r.other);
    free(r.files);
    json_decref(r.errors);
    return code;
}
