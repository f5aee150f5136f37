/* Totals at the ends of their range, each end reached by itself: what would pass one is refused with ERR_RANGE and a
 * sentence, the hash is as it was, and one unit less is booked.
 *   1. Fees: by schedule, given back by a bust, told beside an execution.
 *   2. Equity, of a fill, a fee and a mark, where each of its terms is within its own range.
 *   3. Unrealised and the haircut of stale marks, over several positions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/portfolio/portfolio.h"
#include "core/types/time.h"

#define TOP (1LL << 60) /* of a total; equity: 4 * TOP - 1 */

enum { FIRST = 1, SECOND, THIRD, SPARE, INSTRUMENTS = SPARE };

static uint64_t next_ref;

/* One contract is worth its price, in whole dollars. */
static portfolio_t *desk(uint32_t schedule)
{
    static const portfolio_cfg_t cfg = {.accounts_max = 1, .instruments_max = INSTRUMENTS, .rows_max = 8};
    portfolio_t *p = portfolio_join(portfolio_new(aligned_alloc(portfolio_align(), portfolio_footprint(&cfg)), &cfg));
    assert_non_null(p);
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        instrument_t           ins;
        const instrument_def_t def = {.instrument_id  = id,
                                      .kind           = INSTRUMENT_LINEAR,
                                      .allow_negative = 1,
                                      .mult           = 1,
                                      .lot            = 1,
                                      .settle_ccy     = ccy_pack("USD")};
        assert_int_equal(instrument_init(&ins, &def, "TEST", (tick_band_t[]){{0, 1}}, 1), ERR_OK);
        assert_int_equal(portfolio_define(p, &ins), ERR_OK);
    }
    if (schedule != 0) { /* 100 BNB an execution */
        const fee_schedule_t t    = {.schedule_id = schedule, .tiers = 1, .min_fee = 100, .ccy = ccy_pack("BNB")};
        const fx_rate_t      rate = {.ccy = ccy_pack("USD"), .to_ccy = ccy_pack("BNB"), .rate = 1, .ts_event_ns = 1};
        assert_int_equal(portfolio_fee_schedule(p, &t), ERR_OK);
        assert_int_equal(portfolio_rate(p, &rate), ERR_OK);
    }
    const account_def_t def = {.account_id = 1, .tenant_id = 1, .ccy = ccy_pack("USD"), .fee_schedule = schedule};
    assert_int_equal(portfolio_account_define(p, &def), ERR_OK);
    return p;
}

static portfolio_fill_t fill_of(uint32_t id, int64_t qty, int64_t px)
{
    return (portfolio_fill_t){.account_id    = 1,
                              .instrument_id = id,
                              .side          = qty > 0 ? SIDE_BUY : SIDE_SELL,
                              .qty           = qty > 0 ? qty : -qty,
                              .px            = px};
}

static void fill(portfolio_t *p, uint32_t id, int64_t qty, int64_t px)
{
    const portfolio_fill_t f = fill_of(id, qty, px);
    if (portfolio_fill(p, &f) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
}

static void move(portfolio_t *p, const char *ccy, cash_kind_t kind, int64_t amount)
{
    const cash_move_t m = {
        .ref_lo = ++next_ref, .ccy = ccy_pack(ccy), .amount = amount, .account_id = 1, .kind = (uint8_t)kind};
    bool fresh = false;
    if (portfolio_cash_move(p, &m, &fresh) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
    assert_true(fresh);
}

static misc_fee_t fee_of(uint32_t id, int64_t amount)
{
    return (misc_fee_t){.exec_id_lo    = ++next_ref,
                        .ccy           = ccy_pack("USD"),
                        .amount        = amount,
                        .account_id    = 1,
                        .instrument_id = id,
                        .kind          = FEE_COMMISSION};
}

static portfolio_account_t account(const portfolio_t *p, uint32_t index)
{
    portfolio_account_t out = {0};
    assert_true(portfolio_account(p, 1, index, &out));
    return out;
}

static void check_identity(const portfolio_t *p)
{
    int64_t cash_side = 0;
    for (uint32_t i = 0; portfolio_equity_cash_side(p, 1, i, &cash_side); i++) {
        int64_t pnl_side = -1;
        assert_true(portfolio_equity_pnl_side(p, 1, i, &pnl_side));
        assert_int_equal(cash_side, pnl_side);
    }
}

#define REFUSED(call)                                                                                                  \
    do {                                                                                                               \
        const uint64_t hash_ = portfolio_hash(0, p);                                                                   \
        assert_int_equal(call, ERR_RANGE);                                                                             \
        assert_string_not_equal(err_msg(), "");                                                                        \
        assert_int_equal(portfolio_hash(0, p), hash_);                                                                 \
    } while (0)

/* 1 */
static void test_a_fee_by_schedule_at_the_end_of_cash(void **state)
{
    (void)state;
    portfolio_t *p = desk(1);
    move(p, "BNB", CASH_WITHDRAWAL, -TOP + 99);
    portfolio_fill_t f = fill_of(FIRST, 1, 10);
    f.exec_id_lo       = 77;
    f.fee_unknown      = 1;
    REFUSED(portfolio_fill(p, &f)); /* 100 of 99 */
    move(p, "BNB", CASH_DEPOSIT, 1);
    assert_int_equal(portfolio_fill(p, &f), ERR_OK);
    assert_int_equal(account(p, 1).cash, -TOP);
    assert_int_equal(account(p, 1).fees, 100);

    move(p, "BNB", CASH_DEPOSIT, TOP); /* and given back, at the other end */
    move(p, "BNB", CASH_DEPOSIT, TOP - 100);
    move(p, "BNB", CASH_INTEREST, 1);
    assert_int_equal(account(p, 1).cash, TOP - 99);
    REFUSED(portfolio_bust(p, &f));
    move(p, "BNB", CASH_INTEREST, -1);
    assert_int_equal(portfolio_bust(p, &f), ERR_OK);
    assert_int_equal(account(p, 1).cash, TOP);
    assert_int_equal(account(p, 1).fees, 0);
    check_identity(p);
    free(p);
}

static void test_a_fee_beside_an_execution_at_the_end_of_cash(void **state)
{
    (void)state;
    portfolio_t *p     = desk(0);
    bool         fresh = true;
    move(p, "USD", CASH_WITHDRAWAL, -TOP + 9);
    const misc_fee_t fee = fee_of(FIRST, 10);
    REFUSED(portfolio_misc_fee(p, &fee, &fresh));
    assert_false(fresh);
    move(p, "USD", CASH_DEPOSIT, 1);
    assert_int_equal(portfolio_misc_fee(p, &fee, &fresh), ERR_OK);
    assert_true(fresh);
    assert_int_equal(account(p, 0).cash, -TOP);
    check_identity(p);
    free(p);
}

/* 2: initial, funding and realised are at their ends together (realised: less `short_of`), and equity is what a mark of
 * FIRST makes of it: -3 * TOP + short_of + TOP - ask. */
static portfolio_t *deep(int64_t short_of)
{
    portfolio_t *p = desk(0);
    fill(p, FIRST, -1, TOP);
    move(p, "USD", CASH_WITHDRAWAL, -TOP);
    fill(p, SECOND, -1, TOP);
    move(p, "USD", CASH_FUNDING, -TOP);
    fill(p, THIRD, 1, TOP);
    fill(p, THIRD, -1, short_of);
    const portfolio_account_t a = account(p, 0);
    assert_int_equal(a.initial, -TOP);
    assert_int_equal(a.funding, -TOP);
    assert_int_equal(a.realised, -TOP + short_of);
    assert_int_equal(a.cash, -TOP + short_of);
    assert_int_equal(a.equity, -3 * TOP + short_of);
    return p;
}

static void test_equity_has_an_end_of_its_own(void **state)
{
    (void)state;
    portfolio_t *p     = deep(1);
    bool         fresh = true;
    assert_int_equal(portfolio_mark(p, FIRST, 2 * TOP, 2 * TOP), ERR_OK); /* unrealised at its end, too */
    assert_int_equal(account(p, 0).equity, -4 * TOP + 1);
    const misc_fee_t fee = fee_of(SPARE, 1), none = fee_of(SPARE, 0);
    REFUSED(portfolio_misc_fee(p, &fee, &fresh));
    portfolio_fill_t f = fill_of(SPARE, 1, 0);
    f.fee              = 1;
    REFUSED(portfolio_fill(p, &f));
    assert_int_equal(portfolio_misc_fee(p, &none, &fresh), ERR_OK);
    f.fee = 0;
    assert_int_equal(portfolio_fill(p, &f), ERR_OK);
    assert_int_equal(account(p, 0).equity, -4 * TOP + 1);
    check_identity(p);
    free(p);
}

static void test_a_mark_stops_where_equity_ends(void **state)
{
    (void)state;
    portfolio_t *p = deep(0);
    REFUSED(portfolio_mark(p, FIRST, 2 * TOP, 2 * TOP)); /* -TOP, as unrealised may be, but the fourth of its kind */
    assert_int_equal(portfolio_mark(p, FIRST, 2 * TOP - 1, 2 * TOP - 1), ERR_OK);
    assert_int_equal(account(p, 0).equity, -4 * TOP + 1);
    assert_int_equal(account(p, 0).unrealised, -TOP + 1);
    check_identity(p);
    free(p);
}

/* 3 */
static void test_unrealised_of_several_positions(void **state)
{
    (void)state;
    portfolio_t *p = desk(0);
    fill(p, FIRST, 1, 0);
    fill(p, SECOND, 1, 0);
    assert_int_equal(portfolio_mark(p, FIRST, TOP, TOP), ERR_OK);
    REFUSED(portfolio_mark(p, SECOND, 1, 1));
    assert_int_equal(portfolio_mark(p, FIRST, TOP - 1, TOP - 1), ERR_OK);
    assert_int_equal(portfolio_mark(p, SECOND, 1, 1), ERR_OK);
    assert_int_equal(account(p, 0).unrealised, TOP);
    /* A fill that opens at the other's mark: what it makes of unrealised is beyond, though it costs nothing. */
    const portfolio_fill_t f = fill_of(SECOND, 1, 0);
    REFUSED(portfolio_fill(p, &f));
    check_identity(p);
    free(p);
}

static void test_the_haircut_of_several_positions(void **state)
{
    (void)state;
    portfolio_t *p = desk(0);
    fill(p, FIRST, 1, 0);
    fill(p, SECOND, 1, 0);
    fill(p, THIRD, 1, 0);
    assert_int_equal(portfolio_mark(p, THIRD, -TOP, -TOP), ERR_OK); /* room for two profits of TOP */
    assert_int_equal(portfolio_mark(p, FIRST, TOP, TOP), ERR_OK);
    assert_int_equal(portfolio_mark(p, SECOND, TOP, TOP), ERR_OK);
    assert_int_equal(portfolio_mark_stale(p, FIRST), ERR_OK); /* a profit on a stale mark does not count */
    assert_int_equal(account(p, 0).unrealised, TOP);
    assert_int_equal(account(p, 0).pnl_day, 0);
    REFUSED(portfolio_mark_stale(p, SECOND));
    assert_int_equal(portfolio_mark(p, FIRST, TOP, TOP), ERR_OK);
    assert_int_equal(portfolio_mark_stale(p, SECOND), ERR_OK);
    assert_int_equal(account(p, 0).pnl_day, 0);
    check_identity(p);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fee_by_schedule_at_the_end_of_cash),
        cmocka_unit_test(test_a_fee_beside_an_execution_at_the_end_of_cash),
        cmocka_unit_test(test_equity_has_an_end_of_its_own),
        cmocka_unit_test(test_a_mark_stops_where_equity_ends),
        cmocka_unit_test(test_unrealised_of_several_positions),
        cmocka_unit_test(test_the_haircut_of_several_positions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
