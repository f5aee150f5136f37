/* json_model: the slow, obvious reading of RFC 8259 that the scanner is compared with. Recursive, byte by byte, whole
 * texts only; it shares no code with adapters/net/scan. For tests and fuzz targets. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* json_model_valid: true when text[0..len) is one JSON document in good UTF-8, without lone surrogates, with at most
   depth_max containers open at once. */
bool json_model_valid(const char *text, size_t len, unsigned depth_max);
