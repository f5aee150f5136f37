/* What a venue knows. Checked here:
 *   - definitions that no order could be sent by are refused
 *   - what is native is native only with everything that the order asks for
 *   - the table says for each line what capability_native and capability_offers say, and has words for all the engine does */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/ref/capability.h"

static const venue_def_t rich = {.ord_types = (1u << ORD_TYPE_COUNT) - 2,
                                 .tifs = 1u << TIF_DAY | 1u << TIF_GTC | 1u << TIF_OPG | 1u << TIF_IOC | 1u << TIF_FOK |
                                         1u << TIF_GTD | 1u << TIF_ATC,
                                 .features = 2 * VENUE_CANCEL_ON_DISCONNECT - 1,
                                 .venue_id = 1};

static void test_capability_refuses_what_no_order_leaves_by(void **state)
{
    (void)state;
    venue_def_t bad[] = {rich, rich, rich, rich, rich, rich, rich};
    assert_int_equal(capability_check(&rich), ERR_OK);
    assert_int_equal(capability_check(&capability_default), ERR_OK);
    bad[0].ord_types |= 1;
    bad[1].tifs |= 1u << 6;
    bad[2].features |= 128;
    bad[3].reserved  = 1;
    bad[4].reserved2 = 1;
    bad[5].ord_types &= ~(1ull << ORD_TYPE_LIMIT);
    bad[6].tifs &= ~(1u << TIF_DAY | 1u << TIF_GTC);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(capability_check(&bad[i]), ERR_ARG);
        assert_non_null(strstr(err_msg(), "venue 1"));
    }
}

static void test_capability_native_needs_all_of_it(void **state)
{
    (void)state;
    const order_terms_req_t limit = {.ord_type = ORD_TYPE_LIMIT, .tif = TIF_GTC};
    order_terms_req_t       req   = limit;
    assert_true(capability_native(NULL, &limit));
    assert_true(capability_native(&rich, &limit));
    for (uint8_t type = 0; type <= ORD_TYPE_COUNT; type++) { /* what leaves has a limit price */
        req.ord_type = type;
        assert_int_equal(capability_native(&rich, &req),
                         type == ORD_TYPE_LIMIT || type == ORD_TYPE_STOP_LIMIT || type == ORD_TYPE_LIMIT_IF_TOUCHED);
        assert_int_equal(capability_native(NULL, &req), type == ORD_TYPE_LIMIT);
    }
    req = limit;
    for (uint8_t tif = 0; tif <= TIF_COUNT; tif++) {
        req.tif = tif;
        assert_int_equal(capability_native(NULL, &req),
                         tif == TIF_DAY || tif == TIF_GTC || tif == TIF_IOC || tif == TIF_FOK);
        assert_int_equal(capability_native(&rich, &req), tif > 0 && tif < TIF_COUNT && tif != 6);
    }
    req             = limit;
    req.display_qty = 1;
    assert_true(capability_native(&rich, &req));
    assert_false(capability_native(NULL, &req));
    req         = limit;
    req.list_id = 1;
    assert_false(capability_native(&rich, &req));
    req             = limit;
    req.contingency = CONTINGENCY_OCO;
    assert_false(capability_native(&rich, &req));
    req      = limit;
    req.algo = ALGO_TWAP;
    assert_false(capability_native(&rich, &req));
    assert_true(capability_offers(NULL, VENUE_REPLACE | VENUE_POST_ONLY));
    assert_false(capability_offers(NULL, VENUE_REPLACE | VENUE_STP));
}

static void test_capability_table_says_what_happens(void **state)
{
    (void)state;
    const venue_def_t poor = {.ord_types = 1u << ORD_TYPE_LIMIT, .tifs = 1u << TIF_DAY, .venue_id = 2};
    capability_row_t  row;
    uint32_t          count = 0, types = 0, tifs = 0, native = 0, engine = 0, none = 0;
    for (uint32_t i = 0; capability_row(&poor, i, &row); i++) {
        assert_int_equal(row.how == CAPABILITY_ENGINE, row.note[0] != 0);
        types += strcmp(row.group, "type") == 0;
        tifs += strcmp(row.group, "tif") == 0;
        native += row.how == CAPABILITY_NATIVE;
        none += row.how == CAPABILITY_NONE;
        count++;
    }
    assert_int_equal(types, ORD_TYPE_COUNT - 1);
    assert_int_equal(tifs, 7);
    assert_int_equal(native, 2); /* LIMIT, DAY */
    assert_int_equal(none, 4);   /* GTC, IOC, FOK, POST_ONLY: nobody can do these instead */
    native = 0;
    for (uint32_t i = 0; capability_row(&rich, i, &row); i++) {
        native += row.how == CAPABILITY_NATIVE;
        engine += row.how == CAPABILITY_ENGINE;
        assert_int_not_equal(row.how, CAPABILITY_NONE);
    }
    assert_int_equal(native, 3 + 7 + 7);
    assert_int_equal(native + engine, count);
    assert_true(capability_row(NULL, 1, &row));
    assert_string_equal(row.name, "LIMIT");
    assert_string_equal(capability_how_str(row.how), "native");
    assert_true(capability_row(NULL, 0, &row));
    assert_string_equal(capability_how_str(row.how), "engine");
    assert_string_equal(capability_how_str(CAPABILITY_NONE), "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capability_refuses_what_no_order_leaves_by),
        cmocka_unit_test(test_capability_native_needs_all_of_it),
        cmocka_unit_test(test_capability_table_says_what_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
