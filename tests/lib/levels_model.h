/* levels_model: what scan_levels must answer, by the generic walk: element by element, each number's text taken as it
 * stands and given to decimal_parse. For tests and fuzz targets. */
#pragma once

#include <stdint.h>

#include "adapters/net/scan.h"

/* levels_model_read: the whole array at the cursor; at most `max` levels are stored, all are counted. */
err_t levels_model_read(scan_t *s, unsigned px_exp, unsigned qty_exp, level_t *out, uint32_t max, uint32_t *count);
