/* limit_text: scopes, fields and values between text and integers: every unit, every end of it, there and back; what is wrong
 * is refused with a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/limit_text.h"

#define SCALE ((limit_scale_t){3, 2})

static err_t scope(const char *text, limit_scope_t *out)
{
    return limit_scope_parse(text, strlen(text), out);
}

static void test_scopes_there_and_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        scope_t     type;
        uint32_t    id1;
        const char *symbol;
    } rows[] = {{"global", SCOPE_GLOBAL, 0, ""},
                {"tenant:1", SCOPE_TENANT, 1, ""},
                {"account:65535", SCOPE_ACCOUNT, 65535, ""},
                {"strategy:2", SCOPE_STRATEGY, 2, ""},
                {"venue:7", SCOPE_VENUE, 7, ""},
                {"instrument:BTC-USDT", SCOPE_INSTRUMENT, 0, "BTC-USDT"},
                {"account:1/BTC-USDT", SCOPE_ACCOUNT_INSTRUMENT, 1, "BTC-USDT"},
                {"strategy:3/5", SCOPE_STRATEGY_INSTRUMENT, 3, "5"},
                {"tenant:1/X", SCOPE_TENANT_INSTRUMENT, 1, "X"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        limit_scope_t s;
        char          text[LIMIT_TEXT_MAX];
        assert_int_equal(scope(rows[i].text, &s), ERR_OK);
        assert_int_equal(s.type, rows[i].type);
        assert_int_equal(s.id1, rows[i].id1);
        assert_string_equal(s.symbol, rows[i].symbol);
        assert_string_equal(limit_scope_format(&s, text), rows[i].text);
    }
    static const char *const wrong[] = {"",
                                        "globe",
                                        "global:1",
                                        "account",
                                        "account:",
                                        "account:0",
                                        "account:x",
                                        "account:-1",
                                        "account:65536",
                                        "venue:1/X",
                                        "instrument:",
                                        "account:1/",
                                        "account:1/ABCDEFGHIJKLMNOPQRSTUVWX"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        limit_scope_t s;
        assert_int_equal(scope(wrong[i], &s), ERR_ARG);
    }
}

static int64_t value(const char *field, const char *text)
{
    int64_t out = INT64_MIN;
    assert_int_equal(limit_value_parse(risk_field_find(field), text, strlen(text), SCALE, &out), ERR_OK);
    return out;
}

static void refused(const char *field, const char *text, const char *why)
{
    int64_t out = 0;
    assert_int_equal(limit_value_parse(risk_field_find(field), text, strlen(text), SCALE, &out), ERR_ARG);
    if (!strstr(err_msg(), why)) {
        fail_msg("\"%s\" is not in \"%s\"", why, err_msg());
    }
}

static void test_values_are_exact_and_bounded(void **state)
{
    (void)state;
    assert_int_equal(value("max_long", "1.5"), 1500);
    assert_int_equal(value("max_gross", "250000.25"), 25000025);
    assert_int_equal(value("max_md_age_ns", "500ms"), 500 * NS_PER_MS);
    assert_int_equal(value("max_md_age_ns", "1.5s"), 1500 * NS_PER_MS);
    assert_int_equal(value("max_md_age_ns", "7"), 7);
    assert_int_equal(value("value_w_ns", "2m"), 120 * NS_PER_S);
    assert_int_equal(value("value_w_ns", "1h"), 3600 * NS_PER_S);
    assert_int_equal(value("value_w_ns", "1d"), 86400 * NS_PER_S);
    assert_int_equal(value("collar_bp", "300"), 300);
    assert_int_equal(value("collar_bp", "3%"), 300);
    assert_int_equal(value("collar_bp", "0.25%"), 25);
    assert_int_equal(value("rate_n", "200"), 200);
    assert_int_equal(value("max_turnover", "off"), RISK_OFF);
    refused("max_gross", "0.001", "an amount");
    refused("max_long", "0.0001", "a quantity");
    refused("max_md_age_ns", "5 parsecs", "a time");
    refused("max_md_age_ns", "2d", "allowed are 0s to 24h");
    refused("value_w_ns", "0", "allowed are 1ns to 24h");
    refused("collar_bp", "10001", "allowed are 0 to 10000");
    refused("rate_n", "-1", "allowed are 0 to");
    refused("rate_n", "1.5", "a whole number");
    refused("max_gross", "off", "an amount"); /* only where the table has an end that tests nothing */
}

static void test_values_come_back_as_they_were_written(void **state)
{
    (void)state;
    static const struct {
        const char *field, *text;
    } rows[] = {{"max_long", "1.500"}, {"max_gross", "250000.25"}, {"max_md_age_ns", "500ms"}, {"value_w_ns", "60s"},
                {"value_w_ns", "90m"}, {"collar_bp", "300"},       {"rate_n", "200"},          {"max_turnover", "off"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[LIMIT_TEXT_MAX];
        assert_string_equal(
            limit_value_format(risk_field_find(rows[i].field), value(rows[i].field, rows[i].text), SCALE, text),
            rows[i].text);
    }
    char text[LIMIT_TEXT_MAX];
    assert_string_equal(limit_value_format(RISK_FIELD_max_gross, 12, (limit_scale_t){-1, -1}, text), "12?");
    for (uint32_t f = 0; f < RISK_FIELD_COUNT; f++) { /* every default of the table reads back */
        const risk_field_t *row = risk_field(f);
        int64_t             back;
        limit_value_format(f, row->fallback, SCALE, text);
        assert_int_equal(limit_value_parse(f, text, strlen(text), SCALE, &back), ERR_OK);
        assert_int_equal(back, row->fallback);
    }
}

static void test_lines(void **state)
{
    (void)state;
    assert_int_equal(limit_line_check("account:1 max_gross=500000000 rate_n=90"), ERR_OK);
    assert_int_equal(limit_line_check("  instrument:BTC-USDT  collar_bp=3%"), ERR_OK);
    assert_int_equal(limit_line_check("account:1/BTC-USDT max_long=0.00000001"), ERR_OK);
    static const struct {
        const char *line, *why;
    } wrong[] = {{"account:1", "no FIELD=VALUE"},           {"nowhere x=1", "no scope"},
                 {"account:1 no_such=1", "no_such"},        {"account:1 collar_bp=3", "and not of this scope"},
                 {"account:1 max_gross", "no FIELD=VALUE"}, {"account:1 rate_n=x", "whole number"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(limit_line_check(wrong[i].line), ERR_ARG);
        if (!strstr(err_msg(), wrong[i].why)) {
            fail_msg("\"%s\": \"%s\" is not in \"%s\"", wrong[i].line, wrong[i].why, err_msg());
        }
    }
}

static void test_a_field_twice(void **state)
{
    (void)state;
    assert_int_equal(limit_line_check("account:1 max_gross=1 rate_n=2 max_gross=1"), ERR_EXISTS);
    assert_string_equal(err_msg(), "account:1 max_gross is given twice");
    const char *one = "account:1/BTC-USDT max_long=1 max_short=2";
    assert_int_equal(limit_lines_apart("account:1/BTC-USDT max_open_orders=3 max_short=5", one), ERR_EXISTS);
    assert_string_equal(err_msg(), "account:1/BTC-USDT max_short is given twice");
    assert_int_equal(limit_lines_apart("account:1/BTC-USDT max_open_orders=3", one), ERR_OK);
    assert_int_equal(limit_lines_apart("account:1/ETH-USDT max_short=5", one), ERR_OK);
    assert_int_equal(limit_lines_apart("account:2/BTC-USDT max_short=5", one), ERR_OK);
    assert_int_equal(limit_lines_apart("strategy:1/BTC-USDT max_short=5", one), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scopes_there_and_back),
        cmocka_unit_test(test_a_field_twice),
        cmocka_unit_test(test_values_are_exact_and_bounded),
        cmocka_unit_test(test_values_come_back_as_they_were_written),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
