#include "tools/models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/types/decimal.h"
#include "core/types/num.h"
#include "core/types/time.h"

#define SCALE_PLACES 6
#define SCALE_MIN_E6 1000
#define SCALE_MAX_E6 1000000000

/* ---- one leg ----------------------------------------------------------------------------------------------------- */

static bool constant_parse(const char *text, int64_t *out)
{
    static const struct {
        const char *name;
        unsigned    places; /* of a ns in it */
    } units[]           = {{"ns", 0}, {"us", 3}, {"ms", 6}, {"s", 9}};
    const size_t digits = strspn(text, "0123456789.");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + digits, units[i].name) == 0) {
            return decimal_parse(text, digits, units[i].places, out) == ERR_OK && *out <= LATENCY_MAX_NS;
        }
    }
    return false;
}

err_t models_leg_parse(const char *text, models_leg_t *out)
{
    models_leg_t leg       = {.scale_e6 = LATENCY_SCALE_ONE};
    char         scale[32] = "", rest = '\0';
    if (strlen(text) < MODELS_TEXT_MAX) {
        const int  words  = sscanf(text, "histogram %319s %63s %31s %c", leg.file, leg.row, scale, &rest);
        const bool scaled = words < 3 || (decimal_parse(scale, strlen(scale), SCALE_PLACES, &leg.scale_e6) == ERR_OK &&
                                          leg.scale_e6 >= SCALE_MIN_E6 && leg.scale_e6 <= SCALE_MAX_E6);
        if ((words == 2 || words == 3) && scaled && strchr(leg.row, '.') != NULL) {
            *out = leg;
            return ERR_OK;
        }
        if (constant_parse(text, &leg.constant_ns)) {
            *out = (models_leg_t){.constant_ns = leg.constant_ns};
            return ERR_OK;
        }
    }
    return err_set(ERR_CONFIG,
                   "\"%s\" is neither 0 to %lld ns (us, ms, s) nor \"histogram FILE ROLE.NAME [SCALE 0.001 to 1000]\"",
                   text, LATENCY_MAX_NS);
}

/* The text of a leg in force, "" = its constant in *us. */
static const char *leg_text(const config_t *c, delay_leg_t leg, int64_t *us)
{
    const struct {
        const char *text;
        int64_t     us;
    } legs[DELAY_LEGS] = {[DELAY_PLACE]  = {c->latency.place, c->venue.place_us},
                          [DELAY_AMEND]  = {c->latency.amend, c->venue.cancel_us},
                          [DELAY_CANCEL] = {c->latency.cancel, c->venue.cancel_us},
                          [DELAY_ACK]    = {c->latency.ack, c->venue.report_us},
                          [DELAY_FILL]   = {c->latency.fill, c->venue.report_us},
                          [DELAY_FEED]   = {c->latency.feed, 0}};
    *us                = legs[leg].us;
    return legs[leg].text ? legs[leg].text : "";
}

/* ---- a recorded histogram ---------------------------------------------------------------------------------------- */

static const json_t *row_find(const json_t *list, const char *row)
{
    size_t  i;
    json_t *entry;
    char    name[128];
    json_array_foreach(list, i, entry)
    {
        const char *role = json_string_value(json_object_get(entry, "role"));
        const char *what = json_string_value(json_object_get(entry, "name"));
        snprintf(name, sizeof name, "%s.%s", role ? role : "", what ? what : "");
        if (strcmp(name, row) == 0) {
            return entry;
        }
    }
    return NULL;
}

static err_t buckets_build(const json_t *row, const models_leg_t *leg, latency_t *out)
{
    const json_t     *list  = json_object_get(row, "buckets");
    const size_t      count = json_array_size(list);
    const char       *unit  = json_string_value(json_object_get(row, "unit"));
    latency_bucket_t *b     = calloc(count + 1, sizeof *b);
    err_t             err   = ERR_OK;
    if (count == 0 || unit == NULL || strcmp(unit, "ns") != 0) {
        err = err_set(ERR_PARSE, "%s has %s (`hwal lat --json --buckets N` writes them)", leg->row,
                      count == 0 ? "no buckets" : "a unit that is not ns");
    }
    for (size_t i = 0; err == ERR_OK && i < count; i++) {
        const json_t *pair = json_array_get(list, i);
        const json_t *ns = json_array_get(pair, 0), *n = json_array_get(pair, 1);
        if (json_array_size(pair) != 2 || !json_is_integer(ns) || !json_is_integer(n) || json_integer_value(n) < 0) {
            err = err_set(ERR_PARSE, "%s: bucket %zu is no pair [ns, count]", leg->row, i + 1);
        } else {
            b[i] = (latency_bucket_t){.ns = json_integer_value(ns), .count = (uint64_t)json_integer_value(n)};
        }
    }
    err = err ? err : latency_build(out, b, (uint32_t)count, leg->scale_e6);
    free(b);
    return err;
}

static err_t table_load(const models_leg_t *leg, latency_t *out)
{
    json_error_t why;
    FILE        *file = fopen(leg->file, "re");
    if (!file) {
        return err_set(ERR_NOT_FOUND, "%s cannot be opened", leg->file);
    }
    fseek(file, 0, SEEK_END);
    const long bytes = ftell(file);
    rewind(file);
    json_t *root = bytes >= 0 && bytes <= MODELS_FILE_BYTES_MAX ? json_loadf(file, JSON_REJECT_DUPLICATES, &why) : NULL;
    fclose(file);
    if (!root) {
        return bytes > MODELS_FILE_BYTES_MAX
                   ? err_set(ERR_PARSE, "%s has %ld bytes, limit %d", leg->file, bytes, MODELS_FILE_BYTES_MAX)
                   : err_set(ERR_PARSE, "%s line %d: %s", leg->file, why.line, why.text);
    }
    const json_t *row = row_find(json_object_get(root, "histograms"), leg->row);
    const err_t   err = row ? buckets_build(row, leg, out) : err_set(ERR_NOT_FOUND, "no histogram %s in it", leg->row);
    json_decref(root);
    return err ? err_wrap(err, "%s", leg->file) : ERR_OK;
}

err_t models_delay(const config_t *config, uint32_t depth, uint32_t feed_depth, models_delay_t *out)
{
    *out      = (models_delay_t){.cfg = {.seed = (uint64_t)config->latency.seed}};
    err_t err = ERR_OK;
    for (delay_leg_t leg = DELAY_PLACE; !err && leg < DELAY_LEGS; leg++) {
        models_leg_t parsed = {0};
        int64_t      us;
        const char  *text = leg_text(config, leg, &us);
        bool         any  = us > 0;
        if (*text) {
            err                      = models_leg_parse(text, &parsed);
            out->cfg.latency_ns[leg] = parsed.constant_ns;
            any                      = *parsed.file || parsed.constant_ns > 0;
        } else {
            out->cfg.latency_ns[leg] = us * NS_PER_US;
        }
        if (!err && *parsed.file) {
            out->tables[leg]    = malloc(sizeof *out->tables[leg]);
            out->cfg.drawn[leg] = out->tables[leg];
            err                 = out->tables[leg] ? table_load(&parsed, out->tables[leg])
                                                   : err_set(ERR_LIMIT, "out of memory: %zu bytes", sizeof(latency_t));
        }
        err                 = err ? err_wrap(err, "latency.%s", delay_leg_name(leg)) : ERR_OK;
        out->cfg.depth[leg] = leg != DELAY_FEED ? depth : any ? feed_depth : 0;
    }
    if (err) {
        models_delay_free(out);
        return ERR_CONFIG;
    }
    return ERR_OK;
}

void models_delay_free(models_delay_t *models)
{
    for (unsigned leg = 0; leg < DELAY_LEGS; leg++) {
        free(models->tables[leg]);
        models->tables[leg]    = NULL;
        models->cfg.drawn[leg] = NULL;
    }
}

/* ---- what is in force -------------------------------------------------------------------------------------------- */

static void leg_show(const config_t *c, delay_leg_t leg, char *out, size_t cap)
{
    int64_t     us;
    const char *text = leg_text(c, leg, &us);
    if (*text) {
        snprintf(out, cap, "%s", text);
    } else {
        snprintf(out, cap, "%lldus", (long long)us);
    }
}

json_t *models_json(const config_t *c)
{
    json_t *latency = json_object(), *tiers = json_array();
    char    text[MODELS_TEXT_MAX];
    for (delay_leg_t leg = DELAY_PLACE; leg < DELAY_LEGS; leg++) {
        leg_show(c, leg, text, sizeof text);
        json_object_set_new(latency, delay_leg_name(leg), json_string(text));
    }
    for (unsigned i = 0; i < c->fees.tiers_count; i++) {
        const config_tier_t *t = &c->fees.tiers[i];
        json_array_append_new(
            tiers, json_pack("{s:s, s:s, s:s}", "from", t->from, "maker_bps", t->maker_bps, "taker_bps", t->taker_bps));
    }
    return json_pack("{s:s, s:b, s:o, s:{s:s, s:s, s:I, s:s, s:s, s:s, s:o}}", "queue", c->venue.queue, "trades_take",
                     c->venue.trades_take != 0, "latency", latency, "fees", "maker_bps", c->venue.maker_fee_bps,
                     "taker_bps", c->venue.taker_fee_bps, "window_days", (json_int_t)c->fees.window_days,
                     "per_contract", c->fees.per_contract, "min_fill", c->fees.min_fill, "min_order", c->fees.min_order,
                     "tiers", tiers);
}

void models_text(const config_t *c, char *out, size_t cap)
{
    char   shown[MODELS_TEXT_MAX];
    size_t at =
        (size_t)snprintf(out, cap, "queue %s%s; latency", c->venue.queue, c->venue.trades_take ? ", trades take" : "");
    for (delay_leg_t leg = DELAY_PLACE; leg < DELAY_LEGS && at < cap; leg++) {
        leg_show(c, leg, shown, sizeof shown);
        at += (size_t)snprintf(out + at, cap - at, " %s %s", delay_leg_name(leg), shown);
    }
    if (at < cap) {
        snprintf(out + at, cap - at, "; fees maker %s taker %s bps, %u tiers", c->venue.maker_fee_bps,
                 c->venue.taker_fee_bps, c->fees.tiers_count);
    }
}
