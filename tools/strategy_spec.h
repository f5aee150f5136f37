/* strategy_spec: "name" or "name:key=value,key=value" as strategies of the engine; the one grammar of the configuration
 * file and of --strategy.
 *
 * Names are those of strategy_at(); values are plain whole numbers (no sign but '-', no fraction, no exponent); a key
 * stands once. What a key means and its range is the strategy's own business: its init is called here on a scratch
 * state, so that a bad key or value is refused before anything starts. "none" says: no strategy, and stands alone. */
#pragma once

#include "core/engine/engine.h"

/* strategy_specs_parse: count specs into out[count]; account_id and strategy_id stay 0 for the caller to set.
 * Returns ERR_OK and *parsed, how many there are (0 for "none"); ERR_CONFIG with a sentence that names the spec and the
 * part that is wrong, and *parsed is then the index of the bad one. Cold. */
err_t strategy_specs_parse(const char *const *specs, uint32_t count, engine_strategy_cfg_t *out, uint32_t *parsed);
