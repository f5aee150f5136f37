#include "tests/lib/levels_model.h"

#include "core/types/decimal.h"

static err_t read_number(scan_t *s, unsigned exp, int64_t *out)
{
    scan_str_t  number;
    const err_t err = scan_kind(s) == SCAN_STRING ? scan_string(s, &number) : scan_number(s, &number);
    return err == ERR_OK ? decimal_parse(number.text, number.len, exp, out) : err;
}

err_t levels_model_read(scan_t *s, unsigned px_exp, unsigned qty_exp, level_t *out, uint32_t max, uint32_t *count)
{
    err_t err = scan_enter_array(s);
    *count    = 0;
    while (err == ERR_OK && (err = scan_element(s)) == ERR_OK && (err = scan_enter_array(s)) == ERR_OK) {
        level_t  level  = {0};
        unsigned fields = 0;
        for (; (err = scan_element(s)) == ERR_OK; fields++) {
            err = fields == 0   ? read_number(s, px_exp, &level.px)
                  : fields == 1 ? read_number(s, qty_exp, &level.qty)
                                : scan_skip(s);
            if (err != ERR_OK) {
                return err;
            }
        }
        if (err != ERR_END) {
            return err;
        }
        if (fields < 2) {
            return ERR_PARSE;
        }
        if (*count < max) {
            out[*count] = level;
        }
        ++*count;
        err = ERR_OK;
    }
    return err == ERR_END ? ERR_OK : err;
}
