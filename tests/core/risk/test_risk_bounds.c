/* Bounds that no larger test reaches: every number of a code, and the tables that say what it means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/risk/risk.h"

/* Each code has a name of its own, all other numbers none; a unit stands for names only. */
static void test_every_number_of_a_code(void **state)
{
    (void)state;
    static const uint16_t codes[] = {
#define CODE_NUMBER(code, name, unit) (code),
        RISK_CODES(CODE_NUMBER)
#undef CODE_NUMBER
    };
    static const char *const names[] = {
#define CODE_NAME(code, name, unit) #name,
        RISK_CODES(CODE_NAME)
#undef CODE_NAME
    };
    static const char *const units[] = {
#define CODE_UNIT(code, name, unit) unit,
        RISK_CODES(CODE_UNIT)
#undef CODE_UNIT
    };
    size_t known = 0;
    for (uint32_t code = 0; code <= UINT16_MAX; code++) {
        size_t at = 0;
        while (at < sizeof codes / sizeof codes[0] && codes[at] != code) {
            at++;
        }
        const bool is = at < sizeof codes / sizeof codes[0];
        known += is;
        assert_string_equal(risk_code_str(code), is ? names[at] : "?");
        assert_string_equal(risk_code_unit(code), is ? units[at] : "");
    }
    assert_int_equal(known, sizeof codes / sizeof codes[0]);
}

/* A field is found by its name and by its number, and says one check, an order of bounds and a default within them. */
static void test_every_field_of_a_limit(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < RISK_FIELD_COUNT; i++) {
        const risk_field_t *f = risk_field(i);
        assert_non_null(f);
        assert_int_equal(risk_field_find(f->name), i);
        assert_string_equal(risk_field_name(i), f->name);
        assert_true(f->scopes != 0 && f->min <= f->fallback && f->fallback <= f->max);
        assert_string_not_equal(risk_code_str(f->code), "?");
    }
    assert_null(risk_field(RISK_FIELD_COUNT));
    assert_string_equal(risk_field_name(RISK_FIELD_COUNT), "");
    assert_int_equal(risk_field_find("no_such_field"), RISK_FIELD_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number_of_a_code),
        cmocka_unit_test(test_every_field_of_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
