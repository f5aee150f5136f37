/* decimal_parse against the big-number model on any bytes, and through the scanner as a quoted value; what is accepted
 * survives being formatted and parsed again. The first byte picks the scale. */
#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/net/scan.h"
#include "core/types/decimal.h"
#include "tests/lib/decimal_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size - 1 > DECIMAL_MODEL_LEN_MAX) {
        return 0;
    }
    const unsigned exp  = data[0] % (DECIMAL_EXP_MAX + 1);
    const size_t   len  = size - 1;
    char *const    text = malloc(len + 2); /* quoted, and exactly as long as that: a read outside shows */
    char           want[64], printed[64], again[DECIMAL_TEXT_MAX];
    int64_t        value = 0, back = 0;
    assert(text != NULL);
    memcpy(text + 1, data + 1, len);
    text[0] = text[len + 1] = '"';

    const err_t model = decimal_model_parse(text + 1, len, exp, want);
    const err_t err   = decimal_parse(text + 1, len, exp, &value);
    assert(err == model);
    if (err == ERR_OK) {
        snprintf(printed, sizeof printed, "%" PRId64, value);
        assert(strcmp(printed, want) == 0);
        assert(decimal_parse(again, decimal_format(value, exp, again), exp, &back) == ERR_OK && back == value);
    }
    scan_t s;
    back = 0;
    scan_init(&s, text, len + 2);
    err_t scanned = scan_decimal(&s, exp, &back);
    scanned       = scanned == ERR_OK ? scan_end(&s) : scanned;
    assert((scanned == ERR_OK) == (err == ERR_OK));
    assert(err == ERR_PARSE || scanned == err);
    assert(err != ERR_OK || back == value);
    free(text);
    return 0;
}
