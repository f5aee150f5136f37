/* order_spec: from the words of a command line to a request: types, times in force, exact numbers, nearest values, times,
 * contradictions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/types/time.h"
#include "tools/order_spec.h"

#define NOW (INT64_C(1769860800) * NS_PER_S) /* 2026-01-31T12:00:00Z */

static instrument_t ins(void)
{
    const instrument_def_t def  = {.instrument_id = 3,
                                   .venue_id      = 1,
                                   .kind          = INSTRUMENT_SPOT,
                                   .px_exp        = 2,
                                   .qty_exp       = 3,
                                   .money_exp     = 8,
                                   .mult          = 1,
                                   .settle_ccy    = ccy_pack("USDT"),
                                   .lot           = 5,
                                   .min_qty       = 10};
    const tick_band_t      band = {.px_from = 0, .tick = 5};
    instrument_t           out;
    assert_int_equal(instrument_init(&out, &def, "BTC-USDT", &band, 1), ERR_OK);
    return out;
}

static order_spec_t plain(void)
{
    return (order_spec_t){.symbol = "BTC-USDT", .side = "buy", .qty = "0.5"};
}

static void good(const order_spec_t *s, order_terms_req_t *out)
{
    const instrument_t i = ins();
    if (order_spec_build(s, &i, NOW, out) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
}

static void refused(const order_spec_t *s, const char *why)
{
    const instrument_t i = ins();
    order_terms_req_t  out;
    assert_int_equal(order_spec_build(s, &i, NOW, &out), ERR_ARG);
    if (!strstr(err_msg(), why)) {
        fail_msg("\"%s\" is not in \"%s\"", why, err_msg());
    }
}

static void test_types_follow_from_what_is_written(void **state)
{
    (void)state;
    const struct {
        const char *limit, *stop, *trail, *touch;
        ord_type_t  type;
        tif_t       tif;
    } rows[] = {{0, 0, 0, 0, ORD_TYPE_MARKET, TIF_IOC},
                {"100", 0, 0, 0, ORD_TYPE_LIMIT, TIF_DAY},
                {0, "100", 0, 0, ORD_TYPE_STOP, TIF_DAY},
                {"101", "100", 0, 0, ORD_TYPE_STOP_LIMIT, TIF_DAY},
                {0, 0, "2", 0, ORD_TYPE_TRAILING_STOP, TIF_DAY},
                {"99", "100", "2", 0, ORD_TYPE_TRAILING_STOP_LIMIT, TIF_DAY},
                {0, 0, 0, "100", ORD_TYPE_MARKET_IF_TOUCHED, TIF_DAY},
                {"99", 0, 0, "100", ORD_TYPE_LIMIT_IF_TOUCHED, TIF_DAY}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        order_spec_t      s = plain();
        order_terms_req_t t;
        s.limit = rows[i].limit;
        s.stop  = rows[i].stop;
        s.trail = rows[i].trail;
        s.touch = rows[i].touch;
        good(&s, &t);
        assert_int_equal(t.ord_type, rows[i].type);
        assert_int_equal(t.tif, rows[i].tif);
        assert_int_equal(t.px, rows[i].limit ? strtol(rows[i].limit, NULL, 10) * 100 : 0);
        assert_int_equal(t.qty, 500);
        assert_int_equal(t.instrument_id, 3);
        assert_int_equal(order_spec_plain(&t), i < 2);
    }
    order_spec_t      s = plain();
    order_terms_req_t t;
    s.market_to_limit = true;
    good(&s, &t);
    assert_int_equal(t.ord_type, ORD_TYPE_MARKET_TO_LIMIT);
}

static void test_numbers_are_exact_and_the_nearest_are_named(void **state)
{
    (void)state;
    order_spec_t s = plain();
    s.limit        = "100.03";
    refused(&s, "not on the tick of BTC-USDT; nearest: 100.00, 100.05");
    s.limit = "100.001";
    refused(&s, "at most 2 places");
    s     = plain();
    s.qty = "0.503";
    refused(&s, "not on the lot of BTC-USDT; nearest: 0.500, 0.505");
    s.qty = "0.005";
    refused(&s, "below the least quantity of BTC-USDT; nearest: 0.010");
    s.qty = "0";
    refused(&s, "above 0");
    s       = plain();
    s.trail = "0";
    refused(&s, "a decimal above 0");
    s      = plain();
    s.side = "long";
    refused(&s, "buy, sell");
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t     at_s; /* from NOW */
    } rows[] = {
        {"15:30", 3 * 3600 + 1800}, {"15:30:20", 3 * 3600 + 1820},           {"11:00", 23 * 3600}, {"12:00", 24 * 3600},
        {"2026-01-31T12:01", 60},   {"2026-02-01T00:00:05Z", 12 * 3600 + 5}, {"+90m", 5400},       {"+2h", 7200}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t at = 0;
        assert_int_equal(order_spec_time(rows[i].text, NOW, &at), ERR_OK);
        assert_int_equal(at, NOW + rows[i].at_s * NS_PER_S);
    }
    static const char *const wrong[] = {"", "soon", "25:00", "+0s", "+x", "15:30x", "2026-13-01T00:00"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t at;
        assert_int_equal(order_spec_time(wrong[i], NOW, &at), ERR_ARG);
    }
}

static void test_terms_and_contradictions(void **state)
{
    (void)state;
    order_terms_req_t t;
    order_spec_t      s = plain();
    s.limit             = "100";
    s.until             = "+1h";
    good(&s, &t);
    assert_int_equal(t.tif, TIF_GTD);
    assert_int_equal(t.expire_utc_ns, NOW + 3600 * NS_PER_S);
    s.tif = "gtc";
    refused(&s, "--until goes with");
    s.tif   = "gtd";
    s.until = NULL;
    refused(&s, "until when?");
    s.until = "1969-12-31T23:59"; /* before NOW whatever it is */
    refused(&s, "that time is over");
    s        = plain();
    s.algo   = "twap";
    s.slices = "20";
    refused(&s, "over what time?");
    s.over = "10m";
    good(&s, &t);
    assert_int_equal(t.algo, ALGO_TWAP);
    assert_int_equal(t.algo_arg, 20);
    assert_int_equal(t.expire_utc_ns, NOW + 600 * NS_PER_S);
    s.slices = "256";
    refused(&s, "1 to 255");
    s      = plain();
    s.algo = "iceberg";
    refused(&s, "--display QTY and --limit PX");
    s.display = "0.1";
    s.limit   = "100";
    good(&s, &t);
    assert_int_equal(t.display_qty, 100);
    s.display = "1000000";
    refused(&s, "more than the quantity");
    s       = plain();
    s.touch = "100";
    s.stop  = "100";
    refused(&s, "one of them");
    s         = plain();
    s.trigger = "mid";
    refused(&s, "--trigger goes with");
    s.stop = "100";
    good(&s, &t);
    assert_int_equal(t.trigger, TRIGGER_MID);
    s       = plain();
    s.open  = true;
    s.close = true;
    refused(&s, "one of them");
    s             = plain();
    s.reduce_only = s.post_only = true;
    s.user_ref                  = "desk 7";
    s.account                   = "2";
    good(&s, &t);
    assert_int_equal(t.exec_inst, EXEC_INST_POST_ONLY | EXEC_INST_REDUCE_ONLY);
    assert_int_equal(t.account_id, 2);
    assert_memory_equal(&t.corr_hi, "desk 7\0", 8);
    s.user_ref = "a reference too long";
    refused(&s, "1 to 16 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_follow_from_what_is_written),
        cmocka_unit_test(test_numbers_are_exact_and_the_nearest_are_named),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_terms_and_contradictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
