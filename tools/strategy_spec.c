#include "tools/strategy_spec.h"

#include <stdio.h>
#include <string.h>

#include "core/types/decimal.h"

static err_t name_unknown(const char *name, int len)
{
    char   known[256] = "";
    size_t n          = 0;
    for (uint32_t i = 0; strategy_at(i) && n < sizeof known; i++) {
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", strategy_at(i)->name);
    }
    return err_set(ERR_CONFIG, "strategy \"%.*s\": there are %s", len, name, known);
}

/* One "key=value" of len bytes. */
static err_t param_parse(const char *strategy, const char *part, size_t len, strategy_cfg_t *cfg)
{
    const char  *equals = memchr(part, '=', len);
    const size_t key    = equals ? (size_t)(equals - part) : 0;
    if (key == 0 || key >= sizeof cfg->params[0].name) {
        return err_set(ERR_CONFIG, "strategy %s: \"%.*s\" is not key=value (a key has 1 to %zu letters)", strategy,
                       (int)len, part, sizeof cfg->params[0].name - 1);
    }
    if (cfg->param_count == STRATEGY_PARAMS_MAX) {
        return err_set(ERR_CONFIG, "strategy %s: more than %u parameters", strategy, STRATEGY_PARAMS_MAX);
    }
    strategy_param_t p = {0};
    memcpy(p.name, part, key);
    for (uint32_t i = 0; i < cfg->param_count; i++) {
        if (strcmp(cfg->params[i].name, p.name) == 0) {
            return err_set(ERR_CONFIG, "strategy %s: parameter %s is written twice", strategy, p.name);
        }
    }
    const char  *value  = equals + 1;
    const size_t digits = len - key - 1, minus = digits > 0 && *value == '-';
    const bool   plain = strspn(value + minus, "0123456789") >= digits - minus; /* decimal_parse alone takes 1e3 too */
    const err_t  err   = plain ? decimal_parse(value, digits, 0, &p.value) : ERR_PARSE;
    if (err) {
        return err_set(ERR_CONFIG, "strategy %s: parameter %s is \"%.*s\", which %s", strategy, p.name, (int)digits,
                       value, err == ERR_RANGE ? "does not fit 64 bits" : "is no whole number");
    }
    cfg->params[cfg->param_count++] = p;
    return ERR_OK;
}

static err_t spec_parse(const char *spec, engine_strategy_cfg_t *out)
{
    _Alignas(64) unsigned char state[STRATEGY_STATE_MAX] = {0};
    char                       name[32]                  = {0};
    const size_t               len                       = strcspn(spec, ":");
    if (len < sizeof name) {
        memcpy(name, spec, len);
    }
    *out = (engine_strategy_cfg_t){.ops = strategy_find(name)};
    if (!out->ops) {
        return name_unknown(spec, (int)len);
    }
    if (strcmp(spec + len, ":help") == 0) {
        return err_set(ERR_CONFIG, "strategy %s: %s", name, out->ops->help);
    }
    for (const char *at = spec + len; *at;) { /* at the ':' or ',' before a part */
        const size_t part = strcspn(at + 1, ",");
        const err_t  err  = param_parse(name, at + 1, part, &out->cfg);
        if (err) {
            return err;
        }
        at += 1 + part;
    }
    strategy_cfg_t trial = out->cfg;
    trial.strategy_id = trial.account_id = 1;
    return out->ops->init(state, &trial) ? err_wrap(ERR_CONFIG, "strategy") : ERR_OK;
}

err_t strategy_specs_parse(const char *const *specs, uint32_t count, engine_strategy_cfg_t *out, uint32_t *parsed)
{
    for (*parsed = 0; *parsed < count; ++*parsed) {
        const bool none = strcmp(specs[*parsed], "none") == 0;
        if (none && count > 1) {
            return err_set(ERR_CONFIG, "strategy \"none\" stands beside others: it must stand alone");
        }
        if (none) {
            return ERR_OK;
        }
        const err_t err = spec_parse(specs[*parsed], &out[*parsed]);
        if (err) {
            return err;
        }
    }
    return ERR_OK;
}
