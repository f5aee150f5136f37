/* Fee schedules at the ends of what they may say: each end is taken, one beyond it is refused by name, and the last schedule
 * can be an account's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/portfolio/portfolio.h"

static void test_a_schedule_at_its_ends(void **state)
{
    (void)state;
    static const portfolio_cfg_t cfg = {.accounts_max = 2, .instruments_max = 1, .rows_max = 2};
    void                        *mem = aligned_alloc(portfolio_align(), portfolio_footprint(&cfg));
    portfolio_t                 *p   = portfolio_join(portfolio_new(mem, &cfg));
    assert_non_null(p);
    fee_schedule_t t = {.schedule_id = PORTFOLIO_SCHEDULES_MAX,
                        .tiers       = FEE_TIERS_MAX,
                        .maker       = -FEE_RATE_MAX,
                        .taker       = FEE_RATE_MAX,
                        .tax_buy     = FEE_RATE_MAX,
                        .min_fee     = FEE_MONEY_MAX};
    account_def_t  a = {
         .account_id = 1, .tenant_id = 1, .ccy = ccy_pack("USD"), .fee_schedule = PORTFOLIO_SCHEDULES_MAX};
    t.min_fee++;
    assert_int_equal(portfolio_fee_schedule(p, &t), ERR_ARG);
    t.min_fee--;
    t.tiers++;
    assert_int_equal(portfolio_fee_schedule(p, &t), ERR_ARG);
    t.tiers--;
    t.schedule_id++;
    assert_int_equal(portfolio_fee_schedule(p, &t), ERR_ARG);
    t.schedule_id--;
    for (; t.tier < FEE_TIERS_MAX; t.tier++) {
        assert_int_equal(portfolio_account_define(p, &a), ERR_NOT_FOUND); /* not all its tiers */
        if (t.tier > 0) {
            t.from_value = t.tier - 1;
            assert_int_equal(portfolio_fee_schedule(p, &t), ERR_ARG); /* not above the one before */
        }
        t.from_value = t.tier;
        assert_int_equal(portfolio_fee_schedule(p, &t), ERR_OK);
    }
    assert_int_equal(portfolio_account_define(p, &a), ERR_OK);
    a.account_id   = 2;
    a.fee_schedule = PORTFOLIO_SCHEDULES_MAX + 1;
    assert_int_equal(portfolio_account_define(p, &a), ERR_NOT_FOUND);
    free(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_schedule_at_its_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
