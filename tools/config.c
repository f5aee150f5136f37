#include "tools/config.h"

#include <cyaml/cyaml.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/types/decimal.h"

/* ---- schema for libcyaml ----------------------------------------------------------------------------------------- */
#define OPT (CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER)
#define TEXT(key, type, member, flags) CYAML_FIELD_STRING_PTR(key, flags, type, member, 0, 64)
#define NUMBER(key, type, member, flags) CYAML_FIELD_INT(key, flags, type, member)

static const cyaml_schema_field_t account_fields[] = {TEXT("currency", config_account_t, currency, CYAML_FLAG_POINTER),
                                                      TEXT("initial", config_account_t, initial, CYAML_FLAG_POINTER),
                                                      CYAML_FIELD_END};
static const cyaml_schema_value_t account_schema   = {
      CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, config_account_t, account_fields)};

static const cyaml_schema_field_t risk_fields[] = {
    TEXT("currency", config_risk_t, currency, CYAML_FLAG_POINTER),
    TEXT("max_order_value", config_risk_t, max_order_value, CYAML_FLAG_POINTER),
    TEXT("max_position_value", config_risk_t, max_position_value, CYAML_FLAG_POINTER),
    TEXT("max_open_value", config_risk_t, max_open_value, CYAML_FLAG_POINTER),
    TEXT("max_gross", config_risk_t, max_gross, CYAML_FLAG_POINTER),
    TEXT("max_net", config_risk_t, max_net, CYAML_FLAG_POINTER),
    TEXT("max_day_loss", config_risk_t, max_day_loss, CYAML_FLAG_POINTER),
    TEXT("max_drawdown", config_risk_t, max_drawdown, CYAML_FLAG_POINTER),
    NUMBER("collar_bps", config_risk_t, collar_bps, CYAML_FLAG_OPTIONAL),
    NUMBER("far_bps", config_risk_t, far_bps, CYAML_FLAG_OPTIONAL),
    NUMBER("max_spread_bps", config_risk_t, max_spread_bps, CYAML_FLAG_OPTIONAL),
    NUMBER("max_md_age_ms", config_risk_t, max_md_age_ms, CYAML_FLAG_OPTIONAL),
    NUMBER("max_open_orders_instrument", config_risk_t, max_open_orders_instrument, CYAML_FLAG_OPTIONAL),
    NUMBER("max_open_orders_account", config_risk_t, max_open_orders_account, CYAML_FLAG_OPTIONAL),
    NUMBER("orders_per_s", config_risk_t, orders_per_s, CYAML_FLAG_OPTIONAL),
    NUMBER("messages_per_s", config_risk_t, messages_per_s, CYAML_FLAG_OPTIONAL),
    NUMBER("concentration_bps", config_risk_t, concentration_bps, CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_END};
static const cyaml_schema_value_t risk_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, config_risk_t, risk_fields)};

/* libcyaml cannot tell an absent number from a written 0, but an absent pointer is NULL: sections are read as pointers.
 */
typedef struct section {
    int64_t *number[4];
    char    *text[2];
} section_t;
#define SECTION_NUMBER(key, index) CYAML_FIELD_INT_PTR(key, OPT, section_t, number[index])
#define SECTION_TEXT(key, index) TEXT(key, section_t, text[index], OPT)

typedef struct config_file {
    char             *instance;
    section_t         engine, venue, market;
    config_account_t *accounts;
    unsigned          accounts_count;
    char            **strategies;
    unsigned          strategies_count;
    config_risk_t    *risk;
    unsigned          risk_count;
} config_file_t;

static const cyaml_schema_field_t engine_fields[] = {SECTION_NUMBER("epoch", 0), SECTION_NUMBER("orders_max", 1),
                                                     SECTION_NUMBER("book_window_ticks", 2),
                                                     SECTION_NUMBER("book_far_levels", 3), CYAML_FIELD_END};
static const cyaml_schema_field_t venue_fields[]  = {SECTION_NUMBER("place_us", 0),    SECTION_NUMBER("cancel_us", 1),
                                                     SECTION_NUMBER("report_us", 2),   SECTION_TEXT("maker_fee_bps", 0),
                                                     SECTION_TEXT("taker_fee_bps", 1), CYAML_FIELD_END};
static const cyaml_schema_field_t market_fields[] = {SECTION_NUMBER("seed", 0), SECTION_NUMBER("rate", 1),
                                                     SECTION_NUMBER("seconds", 2), SECTION_NUMBER("instruments", 3),
                                                     CYAML_FIELD_END};
static const cyaml_schema_value_t text_schema     = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 512)};

static const cyaml_schema_field_t config_fields[] = {
    TEXT("instance", config_file_t, instance, OPT),
    CYAML_FIELD_MAPPING("engine", CYAML_FLAG_OPTIONAL, config_file_t, engine, engine_fields),
    CYAML_FIELD_SEQUENCE("accounts", OPT, config_file_t, accounts, &account_schema, 0, 64),
    CYAML_FIELD_SEQUENCE("strategies", OPT, config_file_t, strategies, &text_schema, 0, CONFIG_STRATEGIES_MAX),
    CYAML_FIELD_SEQUENCE("risk", OPT, config_file_t, risk, &risk_schema, 0, 64),
    CYAML_FIELD_MAPPING("venue", CYAML_FLAG_OPTIONAL, config_file_t, venue, venue_fields),
    CYAML_FIELD_MAPPING("market", CYAML_FLAG_OPTIONAL, config_file_t, market, market_fields),
    CYAML_FIELD_END};
static const cyaml_schema_value_t config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, config_file_t, config_fields)};

static const cyaml_schema_field_t instrument_fields[] = {
    TEXT("venue", config_instrument_t, venue, CYAML_FLAG_POINTER),
    TEXT("market", config_instrument_t, market, CYAML_FLAG_POINTER),
    TEXT("symbol", config_instrument_t, symbol, CYAML_FLAG_POINTER),
    TEXT("settle", config_instrument_t, settle, CYAML_FLAG_POINTER),
    NUMBER("px_exp", config_instrument_t, px_exp, CYAML_FLAG_DEFAULT),
    NUMBER("qty_exp", config_instrument_t, qty_exp, CYAML_FLAG_DEFAULT),
    NUMBER("money_exp", config_instrument_t, money_exp, CYAML_FLAG_OPTIONAL),
    NUMBER("mult", config_instrument_t, mult, CYAML_FLAG_OPTIONAL),
    TEXT("tick", config_instrument_t, tick, CYAML_FLAG_POINTER),
    TEXT("lot", config_instrument_t, lot, CYAML_FLAG_POINTER),
    TEXT("min_qty", config_instrument_t, min_qty, OPT),
    TEXT("min_notional", config_instrument_t, min_notional, OPT),
    CYAML_FIELD_END};
static const cyaml_schema_value_t instrument_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, config_instrument_t, instrument_fields)};
static const cyaml_schema_field_t instruments_fields[] = {CYAML_FIELD_SEQUENCE("instruments", CYAML_FLAG_POINTER,
                                                                               config_instruments_t, instruments,
                                                                               &instrument_schema, 0, 100000),
                                                          CYAML_FIELD_END};
static const cyaml_schema_value_t instruments_schema   = {
      CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, config_instruments_t, instruments_fields)};

/* ---- the one table of scalar settings: default, range, meaning --------------------------------------------------- */
typedef struct setting {
    const char *section; /* "" = top level */
    const char *key;
    size_t      offset; /* in config_t */
    size_t      source; /* in config_file_t: the pointer */
    int64_t     fallback, low, high;
    const char *help;
} setting_t;

#define SET(section, index, key, fallback, low, high, help)                                                            \
    {                                                                                                                  \
#section, #key, offsetof(config_t, section.key), offsetof(config_file_t, section.number[index]), fallback,     \
            low, high, help                                                                                            \
    }
static const setting_t settings[] = {
    SET(engine, 0, epoch, 1, 1, 4095, "epoch of client order ids; raised at every start of a live engine"),
    SET(engine, 1, orders_max, 65536, 1024, 1 << 24, "rows of the order table (open ones and the newest closed ones)"),
    SET(engine, 2, book_window_ticks, 65536, 64, 1 << 20,
        "ticks a side near the touch that a book keeps flat; power of two"),
    SET(engine, 3, book_far_levels, 32768, 64, 1 << 24, "levels a book can keep outside the window; power of two"),
    SET(venue, 0, place_us, 2000, 0, 60000000, "decision to venue, on the feed's clock"),
    SET(venue, 1, cancel_us, 2000, 0, 60000000, "the same for cancel and replace"),
    SET(venue, 2, report_us, 1000, 0, 60000000, "venue to order state"),
    SET(market, 0, seed, 42, 0, INT64_MAX, "of the generated market"),
    SET(market, 1, rate, 20000, 1, 100000000, "messages a second of market time"),
    SET(market, 2, seconds, 20, 1, 86400, "of market time"),
    SET(market, 3, instruments, 8, 1, 8, "instruments of the generated market"),
};
#define SETTING_COUNT (sizeof settings / sizeof settings[0])

static const struct {
    const char *key;
    size_t      offset; /* in config_risk_t */
    int64_t     fallback, low, high;
} risk_settings[] = {
    {"collar_bps", offsetof(config_risk_t, collar_bps), 300, 1, 10000},
    {"far_bps", offsetof(config_risk_t, far_bps), 5000, 1, 10000},
    {"max_spread_bps", offsetof(config_risk_t, max_spread_bps), 500, 1, 10000},
    {"max_md_age_ms", offsetof(config_risk_t, max_md_age_ms), 500, 1, 3600000},
    {"max_open_orders_instrument", offsetof(config_risk_t, max_open_orders_instrument), 50, 1, 10000},
    {"max_open_orders_account", offsetof(config_risk_t, max_open_orders_account), 500, 1, 100000},
    {"orders_per_s", offsetof(config_risk_t, orders_per_s), 100, 1, 1024},
    {"messages_per_s", offsetof(config_risk_t, messages_per_s), 250, 1, 1024},
    {"concentration_bps", offsetof(config_risk_t, concentration_bps), 2500, 1, 10000},
};

/* ---- loading ----------------------------------------------------------------------------------------------------- */
typedef struct yaml_trail { /* libcyaml explains a failure in several log lines: kept, then made one sentence */
    char   text[512];
    size_t len;
} yaml_trail_t;

static void yaml_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args) __attribute__((format(printf, 3, 0)));
static void yaml_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
    yaml_trail_t *trail = ctx;
    char          line[256];
    if (level < CYAML_LOG_ERROR || vsnprintf(line, sizeof line, fmt, args) < 0) {
        return;
    }
    line[strcspn(line, "\n")] = '\0';
    const char *text          = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
    if (strcmp(text, "Backtrace:") == 0) {
        return;
    }
    while (*text == ' ') {
        text++;
    }
    const int n =
        snprintf(trail->text + trail->len, sizeof trail->text - trail->len, "%s%s", trail->len ? "; " : "", text);
    if (n > 0 && (size_t)n < sizeof trail->text - trail->len) {
        trail->len += (size_t)n;
    }
}

static void yaml_config(cyaml_config_t *yaml, yaml_trail_t *trail)
{
    *yaml = (cyaml_config_t){.log_fn    = yaml_log,
                             .log_ctx   = trail,
                             .mem_fn    = cyaml_mem,
                             .log_level = CYAML_LOG_ERROR,
                             .flags     = CYAML_CFG_NO_ALIAS};
}

/* The line of an unexpected key: libcyaml names the mapping that it stands in, which may begin far above. 0 = not
 * found. */
static unsigned key_line(const char *file, const char *trail)
{
    static const char marker[] = "Unexpected key: ";
    const char       *key      = strstr(trail, marker);
    char              line[1024];
    unsigned          number = 0, found = 0;
    FILE             *f = key ? fopen(file, "re") : NULL;
    if (!f) {
        return 0;
    }
    key += sizeof marker - 1;
    const size_t len = strcspn(key, ";");
    while (!found && fgets(line, sizeof line, f)) {
        number++;
        for (const char *at = line; !found && (at = memmem(at, strlen(at), key, len)); at++) {
            const char after = at[len];
            found = (at == line || strchr(" \t{,-\"'", at[-1])) && after && strchr(": \"'", after) ? number : 0;
        }
    }
    fclose(f);
    return found;
}

static err_t yaml_load(const char *file, const cyaml_schema_value_t *schema, void **out)
{
    yaml_trail_t   trail = {0};
    cyaml_config_t yaml;
    yaml_config(&yaml, &trail);
    if (access(file, R_OK) != 0) {
        return err_set(ERR_NOT_FOUND, "%s: cannot be read", file);
    }
    const cyaml_err_t rc = cyaml_load_file(file, &yaml, schema, out, NULL);
    if (rc != CYAML_OK) {
        *out                = NULL;
        const unsigned line = key_line(file, trail.text);
        err_set(ERR_CONFIG, "%s%s%s", cyaml_strerror(rc), trail.len ? ": " : "", trail.text);
        return line ? err_wrap(ERR_CONFIG, "%s line %u", file, line) : err_wrap(ERR_CONFIG, "%s", file);
    }
    return ERR_OK;
}

static int64_t *setting_at(config_t *config, const setting_t *setting)
{
    return (int64_t *)(void *)((char *)config + setting->offset);
}

static err_t setting_check(const char *where, const setting_t *s, int64_t value)
{
    if (value < s->low || value > s->high) {
        return err_set(ERR_CONFIG, "%s: %s.%s is %" PRId64 ", allowed are %" PRId64 " to %" PRId64, where, s->section,
                       s->key, value, s->low, s->high);
    }
    return ERR_OK;
}

static err_t settings_from_env(config_t *config)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const setting_t *s        = &settings[i];
        char             name[64] = "HWAL_";
        const char      *parts[]  = {s->section, "_", s->key};
        size_t           n        = 5;
        for (size_t p = 0; p < 3; p++) {
            for (const char *c = parts[p]; *c && n + 1 < sizeof name; c++) {
                name[n++] = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
            }
        }
        name[n]          = '\0';
        const char *text = getenv(name);
        if (!text) {
            continue;
        }
        int64_t value;
        if (decimal_parse(text, strlen(text), 0, &value) != ERR_OK) {
            return err_set(ERR_CONFIG, "environment: %s=\"%s\" is not a whole number", name, text);
        }
        const err_t err = setting_check(name, s, value);
        if (err) {
            return err;
        }
        *setting_at(config, s) = value;
    }
    return ERR_OK;
}

static err_t decimal_check(const char *file, const char *key, const char *text, unsigned exp)
{
    int64_t     value;
    const err_t err = text ? decimal_parse(text, strlen(text), exp, &value) : ERR_PARSE;
    return err ? err_set(ERR_CONFIG, "%s: %s: \"%s\" is not a decimal with at most %u places", file, key,
                         text ? text : "", exp)
               : ERR_OK;
}

/* The values that the grammar of the file cannot check. Risk numbers exclude 0, so there 0 means "not written". */
static err_t config_check(const char *file, config_t *c)
{
    err_t err;
    for (unsigned i = 0; i < c->accounts_count; i++) {
        if (strlen(c->accounts[i].currency) > 8) {
            return err_set(ERR_CONFIG, "%s: accounts: currency \"%s\" has more than 8 letters", file,
                           c->accounts[i].currency);
        }
        if ((err = decimal_check(file, "accounts.initial", c->accounts[i].initial, 4))) {
            return err;
        }
    }
    for (unsigned i = 0; i < c->risk_count; i++) {
        config_risk_t *r         = &c->risk[i];
        char *const    amounts[] = {r->max_order_value, r->max_position_value, r->max_open_value, r->max_gross,
                                    r->max_net,         r->max_day_loss,       r->max_drawdown};
        for (size_t k = 0; k < sizeof amounts / sizeof amounts[0]; k++) {
            if ((err = decimal_check(file, "risk", amounts[k], 8))) {
                return err;
            }
        }
        for (size_t k = 0; k < sizeof risk_settings / sizeof risk_settings[0]; k++) {
            int64_t *value = (int64_t *)(void *)((char *)r + risk_settings[k].offset);
            *value         = *value ? *value : risk_settings[k].fallback;
            if (*value < risk_settings[k].low || *value > risk_settings[k].high) {
                return err_set(ERR_CONFIG, "%s: risk.%s is %" PRId64 ", allowed are %" PRId64 " to %" PRId64, file,
                               risk_settings[k].key, *value, risk_settings[k].low, risk_settings[k].high);
            }
        }
    }
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if ((err = setting_check(file, &settings[i], *setting_at(c, &settings[i])))) {
            return err;
        }
    }
    const int64_t powers[] = {c->engine.book_window_ticks, c->engine.book_far_levels};
    for (size_t i = 0; i < 2; i++) {
        if (powers[i] & (powers[i] - 1)) {
            return err_set(ERR_CONFIG, "%s: engine.book_%s is %" PRId64 ", which is no power of two", file,
                           i ? "far_levels" : "window_ticks", powers[i]);
        }
    }
    if ((err = decimal_check(file, "venue.maker_fee_bps", c->venue.maker_fee_bps, 4)) ||
        (err = decimal_check(file, "venue.taker_fee_bps", c->venue.taker_fee_bps, 4))) {
        return err;
    }
    return ERR_OK;
}

err_t config_load(const char *file, config_t **out)
{
    config_file_t *raw = NULL;
    err_t          err = file ? yaml_load(file, &config_schema, (void **)&raw) : ERR_OK;
    *out               = NULL;
    if (err) {
        return err;
    }
    config_t *c = calloc(1, sizeof *c);
    if (!c) {
        return err_set(ERR_LIMIT, "config: out of memory");
    }
    *c = (config_t){.instance = "default", .venue = {.maker_fee_bps = "2", .taker_fee_bps = "5"}, .file = raw};
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        int64_t *const *written = raw ? (int64_t *const *)(const void *)((const char *)raw + settings[i].source) : NULL;
        *setting_at(c, &settings[i]) = written && *written ? **written : settings[i].fallback;
    }
    if (raw) {
        c->instance            = raw->instance ? raw->instance : c->instance;
        c->venue.maker_fee_bps = raw->venue.text[0] ? raw->venue.text[0] : c->venue.maker_fee_bps;
        c->venue.taker_fee_bps = raw->venue.text[1] ? raw->venue.text[1] : c->venue.taker_fee_bps;
        c->accounts            = raw->accounts;
        c->accounts_count      = raw->accounts_count;
        c->strategies          = raw->strategies;
        c->strategies_count    = raw->strategies_count;
        c->risk                = raw->risk;
        c->risk_count          = raw->risk_count;
    }
    err = settings_from_env(c);
    if (!err) {
        err = config_check(file ? file : "defaults", c);
    }
    if (err) {
        config_free(c);
        return err;
    }
    *out = c;
    return ERR_OK;
}

void config_free(config_t *config)
{
    yaml_trail_t   trail = {0};
    cyaml_config_t yaml;
    if (config) {
        yaml_config(&yaml, &trail);
        cyaml_free(&yaml, &config_schema, config->file, 0);
        free(config);
    }
}

err_t config_instruments_load(const char *file, config_instruments_t **out)
{
    return yaml_load(file, &instruments_schema, (void **)out);
}

void config_instruments_free(config_instruments_t *list)
{
    yaml_trail_t   trail = {0};
    cyaml_config_t yaml;
    yaml_config(&yaml, &trail);
    cyaml_free(&yaml, &instruments_schema, list, 0);
}

bool config_path(const char *name, char *out, size_t cap)
{
    char exe[PATH_MAX];
    snprintf(out, cap, "configs/%s", name);
    if (access(out, R_OK) == 0) {
        return true;
    }
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0) {
        return false;
    }
    exe[n] = '\0';
    for (int up = 0; up < 3; up++) { /* build/<profile>/hwal */
        char *slash = strrchr(exe, '/');
        if (!slash) {
            return false;
        }
        *slash = '\0';
    }
    snprintf(out, cap, "%s/configs/%s", exe, name);
    return access(out, R_OK) == 0;
}

static err_t entry_decimal(const config_instrument_t *e, const char *key, const char *text, int64_t exp,
                           int64_t fallback, int64_t *out)
{
    *out = fallback;
    if (!text) {
        return ERR_OK;
    }
    if (decimal_parse(text, strlen(text), (unsigned)exp, out) != ERR_OK) {
        return err_set(ERR_CONFIG, "%s %s: %s \"%s\" is not a decimal with at most %" PRId64 " places", e->venue,
                       e->symbol, key, text, exp);
    }
    return ERR_OK;
}

err_t config_instrument(const config_instrument_t *e, uint16_t venue_id, instrument_t *out)
{
    static const struct {
        const char       *name;
        instrument_kind_t kind;
    } markets[]           = {{"spot", INSTRUMENT_SPOT}, {"usdm", INSTRUMENT_LINEAR}, {"coinm", INSTRUMENT_INVERSE}};
    instrument_def_t def  = {.venue_id = venue_id};
    tick_band_t      band = {0};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(e->market, markets[i].name) == 0) {
            def.kind = (uint8_t)markets[i].kind;
        }
    }
    if (!def.kind) {
        return err_set(ERR_CONFIG, "%s %s: market \"%s\" is none of spot, usdm, coinm", e->venue, e->symbol, e->market);
    }
    const int64_t money_exp = e->money_exp ? e->money_exp : 8;
    if (e->px_exp < 0 || e->px_exp > 12 || e->qty_exp < 0 || e->qty_exp > 12 || money_exp < 0 || money_exp > 12) {
        return err_set(ERR_CONFIG, "%s %s: px_exp, qty_exp and money_exp must be 0 to 12", e->venue, e->symbol);
    }
    def.px_exp    = (int8_t)e->px_exp;
    def.qty_exp   = (int8_t)e->qty_exp;
    def.money_exp = (int8_t)money_exp;
    def.mult      = e->mult ? e->mult : 1;
    if (strlen(e->settle) > 8) {
        return err_set(ERR_CONFIG, "%s %s: settle \"%s\" has more than 8 letters", e->venue, e->symbol, e->settle);
    }
    def.settle_ccy = ccy_pack(e->settle);
    err_t err;
    if ((err = entry_decimal(e, "tick", e->tick, e->px_exp, 1, &band.tick)) ||
        (err = entry_decimal(e, "lot", e->lot, e->qty_exp, 1, &def.lot)) ||
        (err = entry_decimal(e, "min_qty", e->min_qty, e->qty_exp, def.lot, &def.min_qty)) ||
        (err = entry_decimal(e, "min_notional", e->min_notional, money_exp, 0, &def.min_notional))) {
        return err;
    }
    if ((err = instrument_init(out, &def, e->symbol, &band, 1))) {
        return err_wrap(ERR_CONFIG, "%s", e->venue);
    }
    return ERR_OK;
}

void config_print(const config_t *c)
{
    printf("instance: %s\n", c->instance);
    const char *section = "";
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const setting_t *s = &settings[i];
        if (strcmp(section, s->section) != 0) {
            printf("%s:\n", section = s->section);
        }
        const int64_t value = *(const int64_t *)(const void *)((const char *)c + s->offset);
        printf("  %s: %" PRId64 " # %" PRId64 " to %" PRId64 ": %s\n", s->key, value, s->low, s->high, s->help);
        if (strcmp(s->key, "report_us") == 0) {
            printf("  maker_fee_bps: \"%s\" # basis points of value, negative = rebate\n", c->venue.maker_fee_bps);
            printf("  taker_fee_bps: \"%s\"\n", c->venue.taker_fee_bps);
        }
    }
    for (unsigned i = 0; i < c->accounts_count; i++) {
        printf("%s  - { currency: %s, initial: \"%s\" }\n", i ? "" : "accounts:\n", c->accounts[i].currency,
               c->accounts[i].initial);
    }
    for (unsigned i = 0; i < c->strategies_count; i++) {
        printf("%s  - \"%s\"\n", i ? "" : "strategies:\n", c->strategies[i]);
    }
    for (unsigned i = 0; i < c->risk_count; i++) {
        const config_risk_t *r = &c->risk[i];
        printf("%s  - currency: %s\n    max_order_value: \"%s\"\n    max_position_value: \"%s\"\n    max_open_value: "
               "\"%s\"\n"
               "    max_gross: \"%s\"\n    max_net: \"%s\"\n    max_day_loss: \"%s\"\n    max_drawdown: \"%s\"\n",
               i ? "" : "risk:\n", r->currency, r->max_order_value, r->max_position_value, r->max_open_value,
               r->max_gross, r->max_net, r->max_day_loss, r->max_drawdown);
        for (size_t k = 0; k < sizeof risk_settings / sizeof risk_settings[0]; k++) {
            printf("    %s: %" PRId64 " # %" PRId64 " to %" PRId64 "\n", risk_settings[k].key,
                   *(const int64_t *)(const void *)((const char *)r + risk_settings[k].offset), risk_settings[k].low,
                   risk_settings[k].high);
        }
    }
}
