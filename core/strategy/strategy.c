#include "core/strategy/strategy.h"

#include <string.h>

#include "core/strategy/kit.h"

static const strategy_ops_t *const built_in[] = {&market_maker_ops, &sma_cross_ops, &probe_ops};

const strategy_ops_t *strategy_at(uint32_t index)
{
    return index < sizeof built_in / sizeof built_in[0] ? built_in[index] : NULL;
}

const strategy_ops_t *strategy_find(const char *name)
{
    for (uint32_t i = 0; strategy_at(i) != NULL; i++) {
        if (strcmp(strategy_at(i)->name, name) == 0) {
            return strategy_at(i);
        }
    }
    return NULL;
}

int64_t strategy_param(const strategy_cfg_t *cfg, const char *name, int64_t fallback)
{
    for (uint32_t i = 0; i < cfg->param_count; i++) {
        if (strncmp(cfg->params[i].name, name, sizeof cfg->params[i].name) == 0) {
            return cfg->params[i].value;
        }
    }
    return fallback;
}
