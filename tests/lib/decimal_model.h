/* decimal_model: decimal_parse the slow way, on a row of digits as text. For tests and fuzz targets. */
#pragma once

#include <stddef.h>

#include "core/types/err.h"

#define DECIMAL_MODEL_LEN_MAX 1000 /* bytes of text */

/* decimal_model_parse: the error that decimal_parse must give for text[0..len) at exp, and for ERR_OK the integer
   printed into out. */
err_t decimal_model_parse(const char *text, size_t len, unsigned exp, char out[64]);
