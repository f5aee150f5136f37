/* What a desk does beside plain fills, each against figures reckoned by hand.
 *   1. FIFO lots: exact realised, splits, a flip, a full pool, busts.
 *   2. Hedging: sides by position_effect, busts, cash exact whichever side it went to.
 *   3. Strategies: sums to the account's, to a unit a row.
 *   4. Currencies: stamped rates, inverse, missing ones, a rate that follows a mark, drawdown in the home currency.
 *   5. Cash: movements once by ref, holds.
 *   6. Fees: tiers, minimum, KRX tax in whole won, a third currency, MISC_FEE once, estimates replaced, busts.
 *   7. Every refusal has a sentence and leaves the hash as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/portfolio/portfolio.h"
#include "core/types/time.h"

#define USDT 100000000LL /* money_exp 8 */

enum { PERP = 1, COIN, STOCK, PAIR, OTHER, INSTRUMENTS = OTHER };
enum { PLAIN = 1, LOTS, HEDGE, BOTH, ACCOUNTS = BOTH };

static const portfolio_cfg_t cfg = {
    .accounts_max = ACCOUNTS + 1, .instruments_max = INSTRUMENTS + 1, .rows_max = 40, .lots_max = 4, .facts_max = 4};

static instrument_t instrument(uint32_t id)
{
    static const instrument_def_t defs[INSTRUMENTS] = {
        {.instrument_id = PERP,
         .kind          = INSTRUMENT_LINEAR,
         .px_exp        = 1,
         .qty_exp       = 3,
         .money_exp     = 8,
         .mult          = 1,
         .lot           = 1},
        {.instrument_id = COIN, .kind = INSTRUMENT_INVERSE, .px_exp = 1, .money_exp = 8, .mult = 100, .lot = 1},
        {.instrument_id = STOCK, .kind = INSTRUMENT_SPOT, .money_exp = 0, .mult = 1, .lot = 1},
        {.instrument_id = PAIR, .kind = INSTRUMENT_SPOT, .px_exp = 2, .money_exp = 8, .mult = 1, .lot = 1},
        {.instrument_id  = OTHER,
         .kind           = INSTRUMENT_LINEAR,
         .allow_negative = 1,
         .px_exp         = 1,
         .qty_exp        = 3,
         .money_exp      = 8,
         .mult           = 1,
         .lot            = 1}};
    static const char *const ccys[INSTRUMENTS] = {"USDT", "BTC", "KRW", "USDT", "USDT"};
    instrument_t             ins;
    instrument_def_t         def = defs[id - 1];
    def.settle_ccy               = ccy_pack(ccys[id - 1]);
    if (instrument_init(&ins, &def, "TEST", (tick_band_t[]){{0, 1}}, 1) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
    return ins;
}

static account_def_t account_def(uint32_t id, const char *ccy, uint8_t flags, uint32_t schedule)
{
    return (account_def_t){.account_id   = id,
                           .tenant_id    = 1,
                           .ccy          = ccy_pack(ccy),
                           .initial      = 1000 * USDT,
                           .money_exp    = 8,
                           .flags        = flags,
                           .fee_schedule = schedule};
}

static portfolio_t *bare(const portfolio_cfg_t *with)
{
    portfolio_t *p = portfolio_join(portfolio_new(aligned_alloc(portfolio_align(), portfolio_footprint(with)), with));
    assert_non_null(p);
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        const instrument_t ins = instrument(id);
        assert_int_equal(portfolio_define(p, &ins), ERR_OK);
    }
    return p;
}

static void define(portfolio_t *p, uint32_t id, const char *ccy, uint8_t flags, uint32_t schedule)
{
    const account_def_t def = account_def(id, ccy, flags, schedule);
    if (portfolio_account_define(p, &def) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
}

static portfolio_t *desk(void)
{
    portfolio_t *p = bare(&cfg);
    define(p, PLAIN, "USDT", 0, 0);
    define(p, LOTS, "USDT", ACCOUNT_FIFO, 0);
    define(p, HEDGE, "USDT", ACCOUNT_HEDGING, 0);
    define(p, BOTH, "USDT", ACCOUNT_HEDGING | ACCOUNT_FIFO, 0);
    return p;
}

static portfolio_fill_t fill_of(uint32_t account, uint32_t id, int64_t qty, int64_t px)
{
    return (portfolio_fill_t){.account_id    = account,
                              .instrument_id = id,
                              .side          = qty > 0 ? SIDE_BUY : SIDE_SELL,
                              .qty           = qty > 0 ? qty : -qty,
                              .px            = px};
}

static void book(portfolio_t *p, const portfolio_fill_t *f)
{
    if (portfolio_fill(p, f) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
}

static void fill(portfolio_t *p, uint32_t account, uint32_t id, int64_t qty, int64_t px)
{
    const portfolio_fill_t f = fill_of(account, id, qty, px);
    book(p, &f);
}

static void fill_as(portfolio_t *p, uint32_t account, uint32_t id, int64_t qty, int64_t px, position_effect_t effect)
{
    portfolio_fill_t f = fill_of(account, id, qty, px);
    f.position_effect  = (uint8_t)effect;
    book(p, &f);
}

static position_t position(const portfolio_t *p, uint32_t account, uint32_t id)
{
    position_t out = {0};
    portfolio_position(p, account, id, &out);
    return out;
}

static portfolio_account_t account(const portfolio_t *p, uint32_t account_id, uint32_t index)
{
    portfolio_account_t out = {0};
    assert_true(portfolio_account(p, account_id, index, &out));
    return out;
}

/* The part of a position that belongs to a strategy (0: the account's side). */
static sub_position_t sub(const portfolio_t *p, uint32_t account_id, uint32_t id, uint32_t strategy, uint8_t side)
{
    sub_position_t out;
    for (uint32_t row = 0; row < portfolio_rows(p); row++) {
        if (portfolio_sub_position(p, row, &out) && out.account_id == account_id && out.instrument_id == id &&
            out.strategy_id == strategy && out.side == side) {
            return out;
        }
    }
    return (sub_position_t){0};
}

static void check_identity(const portfolio_t *p)
{
    for (uint32_t id = 1; id <= ACCOUNTS; id++) {
        int64_t cash_side = 0, pnl_side = -1;
        for (uint32_t i = 0; portfolio_equity_cash_side(p, id, i, &cash_side); i++) {
            assert_true(portfolio_equity_pnl_side(p, id, i, &pnl_side));
            assert_int_equal(cash_side, pnl_side);
        }
        if (portfolio_equity_cash_side(p, id, PORTFOLIO_HOME, &cash_side)) {
            assert_true(portfolio_equity_pnl_side(p, id, PORTFOLIO_HOME, &pnl_side));
            assert_int_equal(cash_side, pnl_side);
            const portfolio_account_t a = account(p, id, PORTFOLIO_HOME);
            assert_int_equal(a.equity, pnl_side);
            assert_true(a.drawdown >= 0);
            portfolio_worth_t worth; /* the short way says the same */
            assert_true(portfolio_worth(p, id, &worth));
            assert_int_equal(worth.equity, a.equity);
            assert_int_equal(worth.pnl_day, a.pnl_day);
            assert_int_equal(worth.realised_day, a.realised_day);
            assert_int_equal(worth.missing, a.missing);
        }
    }
}

static void expect(const portfolio_t *p, uint32_t account_id, int64_t qty, int64_t cost, int64_t realised)
{
    const position_t pos = position(p, account_id, PERP);
    assert_int_equal(pos.qty, qty);
    assert_int_equal(pos.cost, cost);
    assert_int_equal(pos.realised, realised);
    check_identity(p);
}

/* ---- 1. lots ----------------------------------------------------------------------------------------------------- */

static void test_lots_leave_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    portfolio_t *p = desk();
    fill(p, LOTS, PERP, 1000, 1000); /* 1 at 100, 1 at 110, 1 at 130 */
    fill(p, LOTS, PERP, 1000, 1100);
    fill(p, LOTS, PERP, 1000, 1300);
    expect(p, LOTS, 3000, 340 * USDT, 0);
    fill(p, LOTS, PERP, -1500, 1200); /* the one at 100: +20; half of that at 110: +5 */
    expect(p, LOTS, 1500, 185 * USDT, 25 * USDT);
    fill(p, LOTS, PERP, -500, 1200); /* +5 */
    expect(p, LOTS, 1000, 130 * USDT, 30 * USDT);
    fill(p, LOTS, PERP, 1000, 1400);
    fill(p, LOTS, PERP, -3000, 1200); /* closes -10 and -20, and is short one at 120 */
    expect(p, LOTS, -1000, -120 * USDT, 0);
    fill(p, LOTS, PERP, -1000, 1500); /* shorts: the one at 120 is the oldest */
    fill(p, LOTS, PERP, 1000, 1000);
    expect(p, LOTS, -1000, -150 * USDT, 20 * USDT);
    fill(p, LOTS, PERP, 1000, 1000);
    expect(p, LOTS, 0, 0, 70 * USDT);
    /* average cost of the same fills closes at another time */
    fill(p, PLAIN, PERP, 1000, 1000);
    fill(p, PLAIN, PERP, 1000, 1200);
    fill(p, PLAIN, PERP, -1000, 1200);
    expect(p, PLAIN, 1000, 110 * USDT, 10 * USDT);
    free(p);
}

static void test_a_full_pool_joins_the_oldest_lots(void **state)
{
    (void)state;
    portfolio_t *p = desk(); /* 4 places: five lots of one position, the newest needs none */
    for (int i = 0; i < 5; i++) {
        fill(p, LOTS, PERP, 1000, 1000 + 100 * i); /* 100, 110, 120, 130, 140 */
    }
    fill(p, LOTS, PERP, 1000, 1500); /* 100 and 110 are one lot now: 105 */
    fill(p, LOTS, PERP, -1000, 1000);
    expect(p, LOTS, 5000, (105 + 120 + 130 + 140 + 150) * USDT, -5 * USDT);
    fill(p, LOTS, PERP, -1000, 1000);
    fill(p, LOTS, PERP, -1000, 1000);
    expect(p, LOTS, 3000, (130 + 140 + 150) * USDT, -30 * USDT);
    /* another one has no two of its own there: its newest two are one */
    fill(p, LOTS, OTHER, 1000, 100);
    fill(p, LOTS, OTHER, 1000, 200);
    fill(p, LOTS, OTHER, 1000, 300);  /* 10 and 20 in the pool, which is full; 30 */
    fill(p, LOTS, PERP, -1000, 1300); /* one place free: 0 */
    fill(p, LOTS, PERP, 1000, 1300);
    fill(p, LOTS, PERP, 1000, 1300); /* takes the last, then joins */
    fill(p, BOTH, PERP, 1000, 1000);
    fill(p, BOTH, PERP, 1000, 2000); /* nothing there: one lot at 150 */
    fill(p, BOTH, PERP, -1000, 1500);
    assert_int_equal(position(p, BOTH, PERP).realised, 0);
    check_identity(p);
    free(p);
}

static void test_a_bust_gives_cash_back_whatever_the_lots(void **state)
{
    (void)state;
    portfolio_t *p = desk();
    fill(p, LOTS, PERP, 1000, 1000);
    const portfolio_account_t before = account(p, LOTS, 0);
    portfolio_fill_t          f      = fill_of(LOTS, PERP, 1000, 1300);
    f.fee                            = 77;
    book(p, &f);
    assert_int_equal(portfolio_bust(p, &f), ERR_OK);
    const portfolio_account_t after = account(p, LOTS, 0);
    assert_int_equal(after.cash, before.cash);
    assert_int_equal(after.fees, before.fees);
    assert_int_equal(after.equity, before.equity);
    assert_int_equal(position(p, LOTS, PERP).qty, 1000);
    check_identity(p);
    free(p);
}

/* ---- 2. sides ---------------------------------------------------------------------------------------------------- */

static void test_sides_stand_beside_each_other(void **state)
{
    (void)state;
    portfolio_t *p = desk();
    fill_as(p, HEDGE, PERP, 2000, 1000, POSITION_EFFECT_OPEN);
    fill_as(p, HEDGE, PERP, -1000, 1100, POSITION_EFFECT_OPEN);
    assert_int_equal(portfolio_mark(p, PERP, 1050, 1060), ERR_OK); /* long 2 at 100: +10; short 1 at 110: +4 */
    assert_int_equal(sub(p, HEDGE, PERP, 0, SIDE_BUY).unrealised, 10 * USDT);
    assert_int_equal(sub(p, HEDGE, PERP, 0, SIDE_SELL).unrealised, 4 * USDT);
    assert_int_equal(sub(p, HEDGE, PERP, 0, SIDE_SELL).mark_px, 1060);
    expect(p, HEDGE, 1000, 90 * USDT, 0);
    fill_as(p, HEDGE, PERP, 500, 1060, POSITION_EFFECT_CLOSE); /* half of the short: +2 */
    assert_int_equal(sub(p, HEDGE, PERP, 0, SIDE_SELL).qty, -500);
    assert_int_equal(sub(p, HEDGE, PERP, 0, SIDE_SELL).realised, 2 * USDT);
    assert_int_equal(sub(p, HEDGE, PERP, 0, SIDE_BUY).qty, 2000);
    fill_as(p, HEDGE, PERP, -3000, 1050, POSITION_EFFECT_NONE); /* the long one first: +10; one more short at 105 */
    assert_int_equal(sub(p, HEDGE, PERP, 0, SIDE_BUY).qty, 0);
    assert_int_equal(sub(p, HEDGE, PERP, 0, SIDE_BUY).realised, 10 * USDT);
    assert_int_equal(sub(p, HEDGE, PERP, 0, SIDE_SELL).qty, -1500);
    expect(p, HEDGE, -1500, -160 * USDT, 12 * USDT);
    fill_as(p, HEDGE, PERP, 2000, 1060, POSITION_EFFECT_CLOSE); /* more than there is: the rest is long */
    assert_int_equal(sub(p, HEDGE, PERP, 0, SIDE_SELL).qty, 0);
    assert_int_equal(sub(p, HEDGE, PERP, 0, SIDE_BUY).qty, 500);
    assert_int_equal(portfolio_funding(p, HEDGE, PERP, -5), ERR_OK);
    assert_int_equal(position(p, HEDGE, PERP).funding, -5);
    check_identity(p);
    uint32_t cursor = 0;
    assert_int_equal(portfolio_holder(p, PERP, &cursor), HEDGE);
    assert_int_equal(portfolio_holder(p, PERP, &cursor), 0);
    cursor = 0;
    assert_int_equal(portfolio_holder(p, INSTRUMENTS + 1, &cursor), 0);
    free(p);
}

static void test_busts_find_their_side(void **state)
{
    (void)state;
    portfolio_t *p = desk();
    fill_as(p, HEDGE, COIN, 30, 612345, POSITION_EFFECT_OPEN);
    fill_as(p, HEDGE, COIN, -20, 623456, POSITION_EFFECT_OPEN);
    const portfolio_account_t      before    = account(p, HEDGE, 1);
    static const position_effect_t effects[] = {POSITION_EFFECT_OPEN, POSITION_EFFECT_CLOSE, POSITION_EFFECT_NONE};
    for (int i = 0; i < 3; i++) {
        const position_effect_t effect = effects[i];
        for (int buys = 0; buys < 2; buys++) {
            portfolio_fill_t f = fill_of(HEDGE, COIN, buys ? 7 : -7, 634567);
            f.position_effect  = (uint8_t)effect;
            book(p, &f);
            check_identity(p);
            assert_int_equal(portfolio_bust(p, &f), ERR_OK);
            if (effect != POSITION_EFFECT_NONE) {
                assert_int_equal(sub(p, HEDGE, COIN, 0, SIDE_BUY).qty, 30);
                assert_int_equal(sub(p, HEDGE, COIN, 0, SIDE_SELL).qty, -20);
            }
            assert_int_equal(account(p, HEDGE, 1).cash, before.cash);
            assert_int_equal(position(p, HEDGE, COIN).qty, 10);
        }
    }
    /* a fill that was split over both sides gives back what it took, to the unit */
    portfolio_fill_t f = fill_of(HEDGE, COIN, 53, 699999);
    book(p, &f);
    assert_int_equal(portfolio_bust(p, &f), ERR_OK);
    assert_int_equal(account(p, HEDGE, 1).cash, before.cash);
    check_identity(p);
    free(p);
}

static void test_corrections_put_the_right_fill_in_its_place(void **state)
{
    (void)state;
    portfolio_t *p = desk();
    fill(p, PLAIN, PERP, 1000, 1000);
    const portfolio_fill_t was = fill_of(PLAIN, PERP, 1000, 1300), now = fill_of(PLAIN, PERP, 2000, 1200);
    book(p, &was);
    portfolio_day_start(p, PLAIN); /* also of yesterday's */
    assert_int_equal(portfolio_correct(p, &was, &now), ERR_OK);
    assert_int_equal(position(p, PLAIN, PERP).qty, 3000);
    assert_int_equal(account(p, PLAIN, 0).cash, (1000 - 100 - 240) * USDT);
    check_identity(p);
    const uint64_t   hash = portfolio_hash(0, p);
    portfolio_fill_t wild = now, odd = was;
    wild.qty = INT64_MAX;
    odd.side = SIDE_NONE;
    assert_int_equal(portfolio_correct(p, &odd, &now), ERR_ARG);
    assert_int_equal(portfolio_hash(0, p), hash);
    const position_t before = position(p, PLAIN, PERP);
    assert_int_equal(portfolio_correct(p, &now, &wild), ERR_RANGE);
    assert_int_equal(position(p, PLAIN, PERP).qty, before.qty);
    assert_int_equal(account(p, PLAIN, 0).cash, (1000 - 100 - 240) * USDT);
    check_identity(p);
    free(p);
}

/* ---- 3. strategies ----------------------------------------------------------------------------------------------- */

static uint64_t rng_state;

static uint64_t rnd(void)
{
    uint64_t z = (rng_state += 0x9e3779b97f4a7c15ULL);
    z          = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z          = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static void test_strategies_sum_to_the_account(void **state)
{
    (void)state;
    for (uint32_t who = PLAIN; who <= BOTH; who++) {
        portfolio_t *p      = desk();
        int64_t      net[4] = {0};
        for (int i = 0; i < 400; i++) {
            const int64_t    qty = (int64_t)(rnd() % 200) + 1;
            portfolio_fill_t f   = fill_of(who, PERP, rnd() % 2 ? qty : -qty, 9000 + (int64_t)(rnd() % 2000));
            f.strategy_id        = (uint32_t)(rnd() % 3) + 1;
            f.position_effect    = (uint8_t)(rnd() % 3);
            f.fee                = (int64_t)(rnd() % 100) - 20;
            const bool bust      = rnd() % 8 == 0;
            book(p, &f);
            if (bust) {
                assert_int_equal(portfolio_bust(p, &f), ERR_OK);
            } else {
                net[f.strategy_id] += f.side == SIDE_BUY ? qty : -qty;
            }
            if (i % 3 == 0) {
                const int64_t bid = 9000 + (int64_t)(rnd() % 2000);
                assert_int_equal(portfolio_mark(p, PERP, bid, bid + 7), ERR_OK);
            }
            check_identity(p);
            int64_t  result = 0, qtys = 0, fees = 0, strategy_qty[4] = {0};
            uint32_t rows = 0;
            for (uint32_t row = 0; row < portfolio_rows(p); row++) {
                sub_position_t s;
                if (portfolio_sub_position(p, row, &s) && s.strategy_id != 0) {
                    result += s.realised + s.unrealised - s.fees;
                    qtys += s.qty;
                    fees += s.fees;
                    strategy_qty[s.strategy_id] += s.qty;
                    rows++;
                }
            }
            const position_t pos = position(p, who, PERP);
            const int64_t    all = pos.realised + pos.unrealised - pos.fees;
            assert_int_equal(memcmp(strategy_qty, net, sizeof net), 0);
            assert_int_equal(qtys, pos.qty);
            assert_int_equal(fees, pos.fees);
            if (who == PLAIN || who == LOTS) { /* sides of strategies and of the account need not be the same */
                assert_true(result - all <= rows && all - result <= rows);
            }
        }
        free(p);
    }
}

static void test_a_strategy_is_told_at_the_mark_of_the_account(void **state)
{
    (void)state;
    portfolio_t     *p = desk();
    portfolio_fill_t a = fill_of(PLAIN, PERP, 1000, 1000), b = fill_of(PLAIN, PERP, -3000, 1000);
    a.strategy_id = 7, b.strategy_id = 9;
    book(p, &a);
    book(p, &b);
    assert_int_equal(portfolio_mark(p, PERP, 1010, 1020), ERR_OK); /* the account is short: both at the ask */
    assert_int_equal(sub(p, PLAIN, PERP, 7, SIDE_NONE).unrealised, 2 * USDT);
    assert_int_equal(sub(p, PLAIN, PERP, 9, SIDE_NONE).unrealised, -6 * USDT);
    assert_int_equal(position(p, PLAIN, PERP).unrealised, -4 * USDT);
    sub_position_t out;
    assert_false(portfolio_sub_position(p, 0, &out)); /* the account's own position is no part */
    assert_false(portfolio_sub_position(p, portfolio_rows(p), &out));
    /* worth more than an int64: told as the end of it */
    portfolio_fill_t far = fill_of(PLAIN, OTHER, INT64_MAX, 0);
    far.strategy_id      = 1;
    book(p, &far);
    far.side        = SIDE_SELL;
    far.strategy_id = 2;
    book(p, &far);
    assert_int_equal(portfolio_mark(p, OTHER, 1000000, 1000000), ERR_OK);
    assert_int_equal(sub(p, PLAIN, OTHER, 1, SIDE_NONE).unrealised, INT64_MAX);
    assert_int_equal(sub(p, PLAIN, OTHER, 2, SIDE_NONE).unrealised, INT64_MIN);
    free(p);
}

/* ---- 4. currencies ----------------------------------------------------------------------------------------------- */

static fx_rate_t rate_of(const char *ccy, const char *to, int64_t rate, int8_t exp, int64_t ts)
{
    return (fx_rate_t){.ccy = ccy_pack(ccy), .to_ccy = ccy_pack(to), .rate = rate, .rate_exp = exp, .ts_event_ns = ts};
}

static void set_rate(portfolio_t *p, const char *ccy, const char *to, int64_t rate, int8_t exp, int64_t ts)
{
    const fx_rate_t fx = rate_of(ccy, to, rate, exp, ts);
    if (portfolio_rate(p, &fx) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
}

static cash_move_t move_of(const char *ccy, int64_t amount, int8_t exp, cash_kind_t kind, uint64_t ref)
{
    return (cash_move_t){.ref_lo     = ref,
                         .ccy        = ccy_pack(ccy),
                         .amount     = amount,
                         .account_id = PLAIN,
                         .money_exp  = exp,
                         .kind       = (uint8_t)kind};
}

static bool moved(portfolio_t *p, const cash_move_t *m)
{
    bool fresh;
    if (portfolio_cash_move(p, m, &fresh) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
    return fresh;
}

static void test_home_currency_by_stamped_rates(void **state)
{
    (void)state;
    portfolio_t *p = desk();
    fill(p, PLAIN, STOCK, 10, 70000); /* 700,000 won paid */
    portfolio_account_t home = account(p, PLAIN, PORTFOLIO_HOME);
    assert_int_equal(home.missing, 1); /* no rate is guessed */
    assert_int_equal(home.equity, 1000 * USDT);
    check_identity(p);
    set_rate(p, "KRW", "USDT", 714, 6, 100); /* 0.000714 */
    assert_int_equal(portfolio_mark(p, STOCK, 71000, 71100), ERR_OK);
    home = account(p, PLAIN, PORTFOLIO_HOME); /* +10,000 won = 7.14 */
    assert_int_equal(home.missing, 0);
    assert_int_equal(home.equity, 1000 * USDT + 714000000);
    assert_int_equal(home.unrealised, 714000000);
    assert_int_equal(home.pnl_day, 714000000);
    assert_int_equal(home.cash, 1000 * USDT - 700000 * 71400LL);
    portfolio_account_t krw = account(p, PLAIN, 1);
    assert_int_equal(krw.fx_rate, 714);
    assert_int_equal(krw.fx_exp, 6);
    assert_int_equal(krw.fx_utc_ns, 100);
    set_rate(p, "KRW", "USDT", 500, 6, 99); /* older: ignored */
    assert_int_equal(account(p, PLAIN, PORTFOLIO_HOME).equity, 1000 * USDT + 714000000);
    set_rate(p, "KRW", "USDT", 700, 6, 101);
    home = account(p, PLAIN, PORTFOLIO_HOME);
    assert_int_equal(home.equity, 1000 * USDT + 700000000);
    assert_int_equal(home.drawdown, 14000000); /* a loss by the rate is one */
    assert_int_equal(portfolio_day_start(p, PLAIN), ERR_OK);
    assert_int_equal(account(p, PLAIN, PORTFOLIO_HOME).drawdown, 0);
    check_identity(p);
    free(p);
}

static void test_inverse_rates_are_divided(void **state)
{
    (void)state;
    portfolio_t *p = desk();
    set_rate(p, "USDT", "KRW", 1400, 0, 1);
    fill(p, PLAIN, STOCK, 10, 70000);
    assert_int_equal(portfolio_mark(p, STOCK, 71000, 71000), ERR_OK); /* 10,000 / 1,400 = 7.142857142.. down */
    assert_int_equal(account(p, PLAIN, PORTFOLIO_HOME).equity, 1000 * USDT + 714285714);
    assert_int_equal(portfolio_mark(p, STOCK, 69000, 69000), ERR_OK); /* a loss is rounded away from 0 */
    assert_int_equal(account(p, PLAIN, PORTFOLIO_HOME).equity, 1000 * USDT - 714285715);
    check_identity(p);
    fx_rate_t fx;
    assert_true(portfolio_rate_find(p, ccy_pack("KRW"), ccy_pack("USDT"), &fx));
    assert_int_equal(fx.rate, 714285714); /* 12 digits */
    assert_int_equal(fx.rate_exp, 12);
    assert_true(fx.ccy == ccy_pack("KRW") && fx.to_ccy == ccy_pack("USDT"));
    assert_true(portfolio_rate_find(p, ccy_pack("USDT"), ccy_pack("KRW"), &fx));
    assert_int_equal(fx.rate, 1400);
    assert_false(portfolio_rate_find(p, ccy_pack("EUR"), ccy_pack("KRW"), &fx));
    /* 1,000 USDT to a currency of 12 digits by a rate in the millions does not fit: it is in no sum */
    cash_move_t m = move_of("BIG", 1000, 0, CASH_DEPOSIT, 1);
    assert_true(moved(p, &m));
    set_rate(p, "BIG", "USDT", INT64_MAX, 0, 1);
    assert_int_equal(account(p, PLAIN, PORTFOLIO_HOME).missing, 1);
    check_identity(p);
    set_rate(p, "TINY", "USDT", 1, 12, 1);
    assert_false(portfolio_rate_find(p, ccy_pack("USDT"), ccy_pack("TINY"), &fx)); /* 10^12 with 12 digits */
    m = move_of("BIG", 1000000000000000, 0, CASH_DEPOSIT, 2);                      /* not even in 128 bits */
    assert_true(moved(p, &m));
    assert_int_equal(account(p, PLAIN, PORTFOLIO_HOME).missing, 1);
    set_rate(p, "USDT", "ODD", 3, 12, 1); /* 20 digits to shift: one ODD is 3.3 x 10^11 */
    m = move_of("ODD", 1, 0, CASH_DEPOSIT, 3);
    assert_true(moved(p, &m));
    assert_int_equal(account(p, PLAIN, PORTFOLIO_HOME).missing, 2); /* more than 2^58: in no sum */
    m = move_of("WIDE", 5, 12, CASH_DEPOSIT, 4);
    assert_true(moved(p, &m));
    set_rate(p, "WIDE", "USDT", 1, 12, 1); /* 16 digits less: 0 */
    check_identity(p);
    free(p);
}

static void test_a_rate_follows_an_instrument(void **state)
{
    (void)state;
    portfolio_t *p  = desk();
    fx_rate_t    fx = rate_of("BTC", "USDT", 0, 0, 5), out;
    fx.source       = PAIR;
    fill(p, PLAIN, COIN, 100, 500000); /* 0.2 BTC received */
    assert_false(portfolio_rate_follows(p, PAIR));
    assert_int_equal(portfolio_rate(p, &fx), ERR_OK);
    assert_int_equal(portfolio_rate(p, &fx), ERR_OK); /* does so already */
    assert_true(portfolio_rate_follows(p, PAIR));
    assert_false(portfolio_rate_find(p, fx.ccy, fx.to_ccy, &out)); /* no mark yet */
    assert_false(portfolio_follow(p, PAIR, 7, &out));
    assert_int_equal(account(p, PLAIN, PORTFOLIO_HOME).missing, 1);
    assert_int_equal(portfolio_mark(p, PAIR, 5000000, 5000003), ERR_OK);
    assert_true(portfolio_follow(p, PAIR, 7, &out));
    assert_int_equal(out.rate, 5000001); /* 50,000.015 rounded down */
    assert_int_equal(account(p, PLAIN, 1).fx_utc_ns, 7);
    assert_int_equal(account(p, PLAIN, PORTFOLIO_HOME).missing, 0);
    check_identity(p);
    const uint64_t  hash = portfolio_hash(0, p);
    const fx_rate_t told = rate_of("BTC", "USDT", 1, 0, 9);
    assert_int_equal(portfolio_rate(p, &told), ERR_STATE);
    fx.source = COIN;
    assert_int_equal(portfolio_rate(p, &fx), ERR_STATE);
    fx        = rate_of("EUR", "USDT", 0, 0, 5);
    fx.source = PAIR; /* is the source of another one */
    assert_int_equal(portfolio_rate(p, &fx), ERR_ARG);
    fx.source = INSTRUMENTS + 1;
    assert_int_equal(portfolio_rate(p, &fx), ERR_ARG);
    assert_int_equal(portfolio_hash(0, p), hash);
    assert_false(portfolio_rate_follows(p, INSTRUMENTS + 1));
    fx        = rate_of("EUR", "USDT", 0, 0, 5);
    fx.source = OTHER; /* whose price may be below 0: no rate then */
    assert_int_equal(portfolio_rate(p, &fx), ERR_OK);
    assert_int_equal(portfolio_mark(p, OTHER, -5, 5), ERR_OK);
    assert_false(portfolio_follow(p, OTHER, 8, &out));
    free(p);
}

static void test_rates_that_are_none(void **state)
{
    (void)state;
    portfolio_t    *p     = desk();
    const uint64_t  hash  = portfolio_hash(0, p);
    const fx_rate_t bad[] = {rate_of("", "USDT", 1, 0, 1),    rate_of("KRW", "", 1, 0, 1),
                             rate_of("KRW", "KRW", 1, 0, 1),  rate_of("KRW", "USDT", -1, 0, 1),
                             rate_of("KRW", "USDT", 0, 0, 1), rate_of("KRW", "USDT", 1, -1, 1),
                             rate_of("KRW", "USDT", 1, 13, 1)};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(portfolio_rate(p, &bad[i]), ERR_ARG);
    }
    assert_int_equal(portfolio_hash(0, p), hash);
    for (uint32_t i = 0; i < PORTFOLIO_RATES_MAX; i++) {
        char name[9];
        (void)snprintf(name, sizeof name, "C%u", i);
        set_rate(p, name, "USDT", 1, 0, 1);
    }
    const fx_rate_t more = rate_of("KRW", "USDT", 1, 0, 1);
    assert_int_equal(portfolio_rate(p, &more), ERR_LIMIT);
    free(p);
}

static void test_a_tenant_is_the_sum_of_its_accounts(void **state)
{
    (void)state;
    portfolio_t *p = bare(&cfg);
    define(p, 1, "USDT", 0, 0);
    account_def_t krw = account_def(2, "KRW", 0, 0);
    krw.money_exp     = 0;
    krw.initial       = 1400000;
    assert_int_equal(portfolio_account_define(p, &krw), ERR_OK);
    define(p, 3, "USDT", 0, 0);
    portfolio_account_t sum;
    portfolio_tenant(p, ccy_pack("USDT"), &sum);
    assert_int_equal(sum.missing, 1);
    assert_int_equal(sum.equity, 2000 * USDT);
    set_rate(p, "USDT", "KRW", 1400, 0, 1);
    portfolio_tenant(p, ccy_pack("USDT"), &sum);
    assert_int_equal(sum.missing, 0);
    assert_int_equal(sum.equity, 3000 * USDT);
    assert_int_equal(sum.initial + sum.realised + sum.unrealised - sum.fees + sum.funding, sum.equity);
    free(p);
    portfolio_cfg_t many = cfg; /* more than an int64 counts: it stays at its end */
    many.accounts_max    = 10;
    p                    = bare(&many);
    account_def_t rich   = account_def(1, "USDT", 0, 0);
    rich.initial         = 1LL << 60;
    for (rich.account_id = 1; rich.account_id <= 10; rich.account_id++) {
        assert_int_equal(portfolio_account_define(p, &rich), ERR_OK);
        fill(p, rich.account_id, OTHER, 10000000000000, 0);
    }
    portfolio_tenant(p, ccy_pack("USDT"), &sum);
    assert_int_equal(sum.equity, INT64_MAX);
    assert_int_equal(portfolio_mark(p, OTHER, -10, -10), ERR_OK); /* 10^18 lost, each */
    portfolio_tenant(p, ccy_pack("USDT"), &sum);
    assert_int_equal(sum.unrealised, INT64_MIN);
    free(p);
}

/* ---- 5. cash ----------------------------------------------------------------------------------------------------- */

static void test_movements_are_booked_once(void **state)
{
    (void)state;
    portfolio_t *p = desk();
    cash_move_t  m = move_of("USDT", 50000, 2, CASH_DEPOSIT, 1);
    assert_true(moved(p, &m));
    assert_false(moved(p, &m));
    portfolio_account_t a = account(p, PLAIN, 0);
    assert_int_equal(a.cash, 1500 * USDT);
    assert_int_equal(a.initial, 1500 * USDT);
    m = move_of("USDT", -400 * USDT, 8, CASH_WITHDRAWAL, 2);
    assert_true(moved(p, &m));
    a = account(p, PLAIN, 0);
    assert_int_equal(a.equity, 1100 * USDT);
    assert_int_equal(a.drawdown, 0); /* what is taken away is no loss */
    assert_int_equal(account(p, PLAIN, PORTFOLIO_HOME).drawdown, 0);
    m = move_of("USDT", 3 * USDT, 8, CASH_INTEREST, 3);
    assert_true(moved(p, &m));
    m               = move_of("USDT", -2 * USDT, 8, CASH_FUNDING, 4);
    m.instrument_id = PERP;
    assert_true(moved(p, &m));
    assert_int_equal(position(p, PLAIN, PERP).funding, -2 * USDT);
    assert_int_equal(account(p, PLAIN, 0).funding, USDT);
    m            = move_of("USDT", 7, 8, CASH_ADJUSTMENT, 4); /* refs are an account's own */
    m.account_id = LOTS;
    assert_true(moved(p, &m));
    m = move_of("USDT", -15, 9, CASH_ADJUSTMENT, 6); /* finer than we count: against us */
    assert_true(moved(p, &m));
    assert_int_equal(account(p, PLAIN, 0).initial, 1100 * USDT - 2);
    m = move_of("USDT", 50000, 2, CASH_DEPOSIT, 1); /* 4 are remembered: that one is forgotten */
    assert_true(moved(p, &m));
    m = move_of("EUR", 100, 2, CASH_DEPOSIT, 7); /* opens it, in the scale that came first */
    assert_true(moved(p, &m));
    assert_int_equal(account(p, PLAIN, 1).money_exp, 2);
    assert_int_equal(account(p, PLAIN, 1).cash, 100);
    assert_int_equal(account(p, PLAIN, PORTFOLIO_HOME).missing, 1);
    check_identity(p);
    free(p);
}

static void test_holds_come_and_go(void **state)
{
    (void)state;
    portfolio_t *p = desk();
    portfolio_hold(p, PLAIN, PAIR, SIDE_BUY, 10000, 2, true); /* 2 at 100 */
    assert_int_equal(account(p, PLAIN, 0).hold, 200 * USDT);
    assert_int_equal(account(p, PLAIN, PORTFOLIO_HOME).hold, 200 * USDT);
    portfolio_hold(p, PLAIN, PAIR, SIDE_SELL, 10000, 2, true); /* takes no cash */
    portfolio_hold(p, PLAIN, PAIR, SIDE_BUY, 10000, 0, true);
    portfolio_hold(p, PLAIN, PERP, SIDE_BUY, 1000, 2000, true); /* derivatives are not paid for */
    portfolio_hold(p, PLAIN, PERP, SIDE_SELL, 1000, 2000, true);
    assert_int_equal(account(p, PLAIN, 0).hold, 200 * USDT);
    portfolio_hold(p, PLAIN, COIN, SIDE_SELL, 500000, 100, true);
    portfolio_hold(p, PLAIN, COIN, SIDE_BUY, 500000, 100, true);
    portfolio_hold(p, PLAIN, COIN, SIDE_SELL, 0, 100, true); /* has no value there */
    assert_int_equal(account(p, PLAIN, 1).hold, 0);
    portfolio_hold(p, PLAIN, PAIR, SIDE_BUY, 10000, 2, false);
    assert_int_equal(account(p, PLAIN, 0).hold, 0);
    portfolio_hold(p, ACCOUNTS + 1, PAIR, SIDE_BUY, 1000, 2000, true);
    portfolio_hold(p, PLAIN, INSTRUMENTS + 1, SIDE_BUY, 1000, 2000, true);
    for (int i = 0; i < 3; i++) { /* more than an int64: told as its end */
        portfolio_hold(p, PLAIN, PAIR, SIDE_BUY, 10000, 800000000, true);
    }
    assert_int_equal(account(p, PLAIN, 0).hold, INT64_MAX);
    for (int i = 0; i < 3; i++) {
        portfolio_hold(p, PLAIN, PAIR, SIDE_BUY, 10000, 800000000, false);
    }
    assert_int_equal(account(p, PLAIN, 0).hold, 0);
    portfolio_hold(p, PLAIN, PAIR, SIDE_BUY, INT64_MAX, INT64_MAX, true); /* no order of ours: 111 */
    assert_int_equal(account(p, PLAIN, 0).hold, 0);
    for (char name[] = "A"; name[0] <= 'F'; name[0]++) {
        assert_int_equal(portfolio_account_open(p, PLAIN, ccy_pack(name), 0), ERR_OK);
    }
    portfolio_hold(p, PLAIN, STOCK, SIDE_BUY, 1000, 1, true); /* no room for its currency */
    check_identity(p);
    free(p);
}

/* What purchases may use: cash without what open derivatives moved of it, through flat and back to nothing. */
static void test_settled_cash(void **state)
{
    (void)state;
    portfolio_t *p = desk();
    fill(p, PLAIN, PERP, 1000, 1000); /* 1 at 100 */
    assert_int_equal(account(p, PLAIN, 0).cash, 900 * USDT);
    assert_int_equal(account(p, PLAIN, 0).settled, 1000 * USDT);
    fill(p, PLAIN, PERP, -3000, 1100); /* 10 won, short 2 at 110: cash has 220 that nobody may spend */
    assert_int_equal(account(p, PLAIN, 0).cash, 1230 * USDT);
    assert_int_equal(account(p, PLAIN, 0).settled, 1010 * USDT);
    fill(p, PLAIN, PAIR, 3, 10000); /* what is bought is paid for */
    assert_int_equal(account(p, PLAIN, 0).settled, 710 * USDT);
    fill(p, PLAIN, PERP, 2000, 1200); /* 20 lost */
    assert_int_equal(account(p, PLAIN, 0).settled, 690 * USDT);
    assert_int_equal(account(p, PLAIN, 0).cash, 690 * USDT);
    portfolio_worth_t worth;
    assert_true(portfolio_worth(p, PLAIN, &worth));
    assert_int_equal(worth.settled, 690 * USDT);
    assert_false(portfolio_on_margin(p, PLAIN));
    assert_true(portfolio_fee_rate(p, PLAIN, PERP)); /* no schedule, no currency of its own */
    fill(p, HEDGE, PERP, 1000, 1000);
    assert_int_equal(account(p, HEDGE, PORTFOLIO_HOME).settled, 1000 * USDT);
    check_identity(p);
    free(p);
}

/* Sold at the Korea exchange by hand: 7 at 84,300 won are 590,100; tax 0.18 % is 1,062.18 and so 1,063 won, commission of
 * 0.015 % is 88.515 and so 89. A purchase of the same pays no tax. */
static void test_korean_tax_by_hand(void **state)
{
    (void)state;
    portfolio_t         *p    = bare(&cfg);
    const fee_schedule_t tier = {.schedule_id = 1, .tiers = 1, .maker = 15000, .taker = 15000, .tax_sell = 180000};
    account_def_t        def  = account_def(PLAIN, "KRW", 0, 1);
    def.money_exp             = 0;
    def.initial               = 10000000;
    assert_int_equal(portfolio_fee_schedule(p, &tier), ERR_OK);
    assert_int_equal(portfolio_account_define(p, &def), ERR_OK);
    portfolio_fill_t f = {.account_id    = PLAIN,
                          .instrument_id = STOCK,
                          .side          = SIDE_BUY,
                          .liquidity     = LIQUIDITY_TAKER,
                          .fee_unknown   = 1,
                          .qty           = 7,
                          .px            = 84300,
                          .exec_id_lo    = 1};
    assert_int_equal(portfolio_fill(p, &f), ERR_OK);
    assert_int_equal(account(p, PLAIN, 0).fees, 89);
    assert_int_equal(account(p, PLAIN, 0).cash, 10000000 - 590100 - 89);
    f.side       = SIDE_SELL;
    f.exec_id_lo = 2;
    assert_int_equal(portfolio_fill(p, &f), ERR_OK);
    assert_int_equal(account(p, PLAIN, 0).fees, 89 + 89 + 1063);
    assert_int_equal(account(p, PLAIN, 0).cash, 10000000 - 89 - 89 - 1063);
    check_identity(p);
    free(p);
}

/* A schedule that is paid in another currency needs a rate; until there is one the settlement currency stands in. */
static void test_fee_currency_without_a_rate(void **state)
{
    (void)state;
    portfolio_t         *p    = bare(&cfg);
    const fee_schedule_t tier = {
        .schedule_id = 1, .tiers = 1, .maker = 100000, .taker = 100000, .ccy = ccy_pack("BTC")};
    assert_int_equal(portfolio_fee_schedule(p, &tier), ERR_OK);
    define(p, PLAIN, "USDT", ACCOUNT_MARGIN, 1);
    assert_true(portfolio_on_margin(p, PLAIN));
    assert_false(portfolio_fee_rate(p, PLAIN, PERP));
    assert_true(portfolio_fee_rate(p, PLAIN, COIN)); /* settles in it */
    const fx_rate_t rate = {
        .ccy = ccy_pack("USDT"), .to_ccy = ccy_pack("BTC"), .rate = 2, .rate_exp = 5, .ts_event_ns = 1};
    assert_int_equal(portfolio_rate(p, &rate), ERR_OK);
    assert_true(portfolio_fee_rate(p, PLAIN, PERP));
    assert_true(portfolio_fee_rate(p, ACCOUNTS + 1, PERP));
    free(p);
}

/* ---- 6. fees ----------------------------------------------------------------------------------------------------- */

static fee_schedule_t tier_of(uint32_t schedule, uint16_t tier, uint16_t tiers, int64_t from)
{
    return (fee_schedule_t){.schedule_id = schedule,
                            .tier        = tier,
                            .tiers       = tiers,
                            .from_value  = from,
                            .maker       = tier ? -10000 : 20000, /* 2 bp, then a rebate of 1 */
                            .taker       = tier ? 40000 : 50000};       /* 5 bp, then 4 */
}

static void schedule(portfolio_t *p, const fee_schedule_t *t)
{
    if (portfolio_fee_schedule(p, t) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
}

static portfolio_t *with_schedules(void)
{
    portfolio_t         *p    = bare(&cfg);
    const fee_schedule_t base = tier_of(1, 0, 2, 0), high = tier_of(1, 1, 2, 1000);
    fee_schedule_t       krx = {.schedule_id = 2, .tiers = 1, .maker = 15000, .taker = 15000, .tax_sell = 180000};
    fee_schedule_t       bnb = {
              .schedule_id = 3, .tiers = 1, .maker = 10000, .taker = 10000, .min_fee = USDT / 100, .ccy = ccy_pack("BNB")};
    schedule(p, &base);
    schedule(p, &high);
    schedule(p, &high); /* the same again */
    schedule(p, &krx);
    schedule(p, &bnb);
    define(p, 1, "USDT", 0, 1);
    account_def_t korea = account_def(2, "KRW", 0, 2);
    korea.money_exp     = 0;
    korea.initial       = 10000000;
    assert_int_equal(portfolio_account_define(p, &korea), ERR_OK);
    define(p, 3, "USDT", 0, 3);
    define(p, 4, "USDT", ACCOUNT_HEDGING, 1);
    return p;
}

static portfolio_fill_t unknown(uint32_t account_id, uint32_t id, int64_t qty, int64_t px, uint64_t exec)
{
    portfolio_fill_t f = fill_of(account_id, id, qty, px);
    f.fee_unknown      = 1;
    f.exec_id_lo       = exec;
    f.liquidity        = LIQUIDITY_TAKER;
    f.strategy_id      = 5;
    return f;
}

static void test_tiers_follow_what_was_traded(void **state)
{
    (void)state;
    portfolio_t     *p = with_schedules();
    portfolio_fill_t f = unknown(1, PERP, 5000, 1000, 1); /* 500 at 5 bp: 0.25 */
    book(p, &f);
    assert_int_equal(account(p, 1, 0).fees, USDT / 4);
    f.exec_id_lo = 2;
    f.liquidity  = LIQUIDITY_MAKER; /* 500 at 2 bp: 0.1 */
    book(p, &f);
    assert_int_equal(account(p, 1, 0).fees, 35 * USDT / 100);
    f.exec_id_lo = 3; /* 1,000 were traded: a rebate of 0.05 */
    book(p, &f);
    assert_int_equal(account(p, 1, 0).fees, 30 * USDT / 100);
    assert_int_equal(sub(p, 1, PERP, 5, SIDE_NONE).fees, 30 * USDT / 100);
    f.exec_id_lo  = 4; /* a fee that the venue says is booked as it is */
    f.fee_unknown = 0;
    f.fee         = 7;
    book(p, &f);
    assert_int_equal(account(p, 1, 0).fees, 30 * USDT / 100 + 7);
    f            = unknown(1, PERP, 5000, 1000, 5); /* 30 days later nothing counts: 0.25 */
    f.utc_ns     = 30 * NS_PER_DAY;
    f.exec_id_lo = 0; /* without an execution there is nothing to undo later */
    book(p, &f);
    assert_int_equal(account(p, 1, 0).fees, 55 * USDT / 100 + 7);
    f.fee_unknown = 0;
    f.account_id  = 4; /* a side's first row takes the fee */
    book(p, &f);
    check_identity(p);
    free(p);
}

static void test_korean_tax_in_whole_won(void **state)
{
    (void)state;
    portfolio_t     *p = with_schedules();
    portfolio_fill_t f = unknown(2, STOCK, 7, 71300, 1); /* 499,100 won at 1.5 bp: 74.865, up */
    book(p, &f);
    assert_int_equal(account(p, 2, 0).fees, 75); /* no tax on a purchase */
    f = unknown(2, STOCK, -7, 71500, 2);         /* 500,500: 75.075, up; tax 0.18 %: 900.9, up */
    book(p, &f);
    assert_int_equal(account(p, 2, 0).fees, 75 + 76 + 901);
    assert_int_equal(account(p, 2, 0).cash, 10000000 + 1400 - 1052);
    /* the venue says what it was, and each kind once */
    misc_fee_t fee = {.exec_id_lo    = 2,
                      .ccy           = ccy_pack("KRW"),
                      .amount        = 900,
                      .account_id    = 2,
                      .instrument_id = STOCK,
                      .kind          = FEE_TAX,
                      .strategy_id   = 5};
    bool       fresh;
    assert_int_equal(portfolio_misc_fee(p, &fee, &fresh), ERR_OK);
    assert_true(fresh);
    assert_int_equal(portfolio_misc_fee(p, &fee, &fresh), ERR_OK);
    assert_false(fresh);
    assert_int_equal(account(p, 2, 0).fees, 75 + 76 + 900);
    assert_int_equal(sub(p, 2, STOCK, 5, SIDE_NONE).fees, 75 + 76 + 900);
    /* a bust, also after the day rolled, gives all of it back */
    assert_int_equal(portfolio_day_start(p, 2), ERR_OK);
    assert_int_equal(portfolio_bust(p, &f), ERR_OK);
    assert_int_equal(account(p, 2, 0).fees, 75);
    assert_int_equal(account(p, 2, 0).cash, 10000000 - 499100 - 75);
    assert_int_equal(position(p, 2, STOCK).qty, 7);
    assert_int_equal(portfolio_misc_fee(p, &fee, &fresh), ERR_OK); /* told again: it was undone */
    assert_false(fresh);
    assert_int_equal(portfolio_bust(p, &f), ERR_OK); /* whoever undoes it twice: its fees come back once */
    assert_int_equal(account(p, 2, 0).fees, 75);
    fee.exec_id_lo = 3;
    fee.ccy        = ccy_pack("HKD"); /* of which nothing was known */
    assert_int_equal(portfolio_misc_fee(p, &fee, &fresh), ERR_OK);
    assert_int_equal(account(p, 2, 1).fees, 900);
    /* the hold of a sale is nothing, that of a purchase has the fee */
    portfolio_hold(p, 2, STOCK, SIDE_BUY, 71300, 7, true);
    assert_int_equal(account(p, 2, 0).hold, 499100 + 75);
    portfolio_hold(p, 2, STOCK, SIDE_SELL, 71300, 7, true);
    assert_int_equal(account(p, 2, 0).hold, 499100 + 75);
    check_identity(p);
    free(p);
}

static void test_a_fee_in_a_third_currency(void **state)
{
    (void)state;
    portfolio_t     *p = with_schedules();
    portfolio_fill_t f = unknown(3, PERP, 1000, 1000, 1); /* 100 at 1 bp is 0.01; the minimum is as much */
    book(p, &f);                                          /* no rate to BNB: paid in USDT */
    assert_int_equal(account(p, 3, 0).fees, USDT / 100);
    set_rate(p, "USDT", "BNB", 3, 3, 1); /* but nobody knows how BNB is counted */
    f.exec_id_lo = 2;
    book(p, &f);
    assert_int_equal(account(p, 3, 0).fees, 2 * USDT / 100);
    cash_move_t m = move_of("BNB", USDT, 8, CASH_DEPOSIT, 1);
    m.account_id  = 3;
    assert_true(moved(p, &m));
    f = unknown(3, PERP, 123456, 1000, 3); /* 1.23456 USDT: 0.00370368 BNB */
    book(p, &f);
    assert_int_equal(account(p, 3, 0).fees, 2 * USDT / 100);
    assert_int_equal(account(p, 3, 1).fees, 370368);
    assert_int_equal(account(p, 3, 1).cash, USDT - 370368);
    assert_int_equal(portfolio_bust(p, &f), ERR_OK);
    assert_int_equal(account(p, 3, 1).cash, USDT);
    /* told by the venue, finer than we count, before the fill itself: the schedule is silent then */
    misc_fee_t fee = {.exec_id_lo    = 9,
                      .ccy           = ccy_pack("BNB"),
                      .amount        = 1234567,
                      .money_exp     = 9,
                      .account_id    = 3,
                      .instrument_id = COIN,
                      .kind          = FEE_COMMISSION};
    bool       fresh;
    assert_int_equal(portfolio_misc_fee(p, &fee, &fresh), ERR_OK);
    assert_int_equal(account(p, 3, 1).fees, 123457); /* up */
    f = unknown(3, COIN, 10, 500000, 9);
    book(p, &f);
    assert_int_equal(account(p, 3, 1).fees, 123457);
    check_identity(p);
    free(p);
}

static void test_volume_in_the_home_currency(void **state)
{
    (void)state;
    portfolio_t     *p = with_schedules();
    portfolio_fill_t f = unknown(1, STOCK, 20, 70000, 1); /* 1,400,000 won, and no rate: not counted */
    book(p, &f);
    f = unknown(1, PERP, 1000, 1000, 2);
    book(p, &f);
    assert_int_equal(account(p, 1, 0).fees, 5 * USDT / 100);
    set_rate(p, "KRW", "USDT", 714285, 9, 1); /* 999.999: with the 100 above 1,000 is passed */
    f = unknown(1, STOCK, 20, 70000, 3);
    book(p, &f);
    f = unknown(1, PERP, 1000, 1000, 4);
    book(p, &f);
    assert_int_equal(account(p, 1, 0).fees, 9 * USDT / 100);
    /* a value that is no int64 counts nothing, and is charged as far as it can be */
    f    = unknown(1, OTHER, INT64_MAX, 0, 5);
    f.px = 10;
    assert_int_equal(portfolio_fill(p, &f), ERR_RANGE);
    check_identity(p);
    free(p);
}

/* ---- 7. refusals ------------------------------------------------------------------------------------------------- */

static void test_definitions_that_are_none(void **state)
{
    (void)state;
    portfolio_t         *p     = with_schedules();
    const uint64_t       hash  = portfolio_hash(0, p);
    const fee_schedule_t bad[] = {
        {.schedule_id = 0, .tiers = 1},
        {.schedule_id = PORTFOLIO_SCHEDULES_MAX + 1, .tiers = 1},
        {.schedule_id = 9, .tiers = 1, .maker = FEE_RATE_MAX + 1},
        {.schedule_id = 9, .tiers = 1, .taker = -FEE_RATE_MAX - 1},
        {.schedule_id = 9, .tiers = 1, .tax_buy = -1},
        {.schedule_id = 9, .tiers = 1, .tax_sell = FEE_RATE_MAX + 1},
        {.schedule_id = 9, .tiers = 0},
        {.schedule_id = 9, .tiers = FEE_TIERS_MAX + 1},
        {.schedule_id = 9, .tiers = 2, .tier = 1},
        {.schedule_id = 9, .tiers = 1, .min_fee = -1},
        {.schedule_id = 9, .tiers = 1, .min_fee = FEE_MONEY_MAX + 1},
        {.schedule_id = 9, .tiers = 1, .from_value = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(portfolio_fee_schedule(p, &bad[i]), ERR_ARG);
        assert_int_equal(portfolio_hash(0, p), hash);
    }
    fee_schedule_t other = tier_of(1, 1, 2, 1001);
    assert_int_equal(portfolio_fee_schedule(p, &other), ERR_EXISTS);
    const fee_schedule_t half = tier_of(9, 0, 3, 0);
    schedule(p, &half);
    fee_schedule_t next = tier_of(9, 1, 2, 10);
    assert_int_equal(portfolio_fee_schedule(p, &next), ERR_ARG); /* of another number of tiers */
    next = tier_of(9, 1, 3, 0);
    assert_int_equal(portfolio_fee_schedule(p, &next), ERR_ARG); /* does not rise */
    next     = tier_of(9, 1, 3, 10);
    next.ccy = ccy_pack("BNB");
    assert_int_equal(portfolio_fee_schedule(p, &next), ERR_ARG);
    account_def_t def = account_def(5, "USDT", 0, 9);
    assert_int_equal(portfolio_account_define(p, &def), ERR_NOT_FOUND); /* not all its tiers */
    def.fee_schedule = 10;
    assert_int_equal(portfolio_account_define(p, &def), ERR_NOT_FOUND);
    def.fee_schedule = PORTFOLIO_SCHEDULES_MAX + 1;
    assert_int_equal(portfolio_account_define(p, &def), ERR_NOT_FOUND);
    def = account_def(5, "USDT", 8, 0);
    assert_int_equal(portfolio_account_define(p, &def), ERR_ARG);
    def           = account_def(5, "USDT", 0, 0);
    def.money_exp = 6; /* it is 8 already */
    assert_int_equal(portfolio_account_define(p, &def), ERR_ARG);
    def           = account_def(5, "NEW", 0, 0);
    def.money_exp = 13;
    assert_int_equal(portfolio_account_define(p, &def), ERR_ARG);
    def.money_exp = -1;
    assert_int_equal(portfolio_account_define(p, &def), ERR_ARG);
    def = account_def(0, "USDT", 0, 0);
    assert_int_equal(portfolio_account_define(p, &def), ERR_ARG);
    def = account_def(ACCOUNTS + 2, "USDT", 0, 0);
    assert_int_equal(portfolio_account_define(p, &def), ERR_ARG);
    def = account_def(5, "", 0, 0);
    assert_int_equal(portfolio_account_define(p, &def), ERR_ARG);
    def         = account_def(5, "USDT", 0, 0);
    def.initial = (1LL << 60) + 1;
    assert_int_equal(portfolio_account_define(p, &def), ERR_ARG);
    def.initial = -(1LL << 60) - 1;
    assert_int_equal(portfolio_account_define(p, &def), ERR_ARG);
    def = account_def(1, "USDT", 0, 1);
    assert_int_equal(portfolio_account_define(p, &def), ERR_OK); /* the same again */
    const account_def_t same[] = {account_def(1, "EUR", 0, 1), account_def(1, "USDT", ACCOUNT_FIFO, 1),
                                  account_def(1, "USDT", 0, 2)};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_int_equal(portfolio_account_define(p, &same[i]), i == 1 ? ERR_EXISTS : ERR_EXISTS);
    }
    def.initial++;
    assert_int_equal(portfolio_account_define(p, &def), ERR_EXISTS);
    def.initial--;
    def.money_exp = 7;
    assert_int_equal(portfolio_account_define(p, &def), ERR_EXISTS);
    free(p);
    const portfolio_cfg_t none = {.accounts_max = 1, .instruments_max = INSTRUMENTS};
    p                          = bare(&none);
    def                        = account_def(1, "USDT", ACCOUNT_FIFO, 0);
    assert_int_equal(portfolio_account_define(p, &def), ERR_LIMIT); /* no room for lots */
    for (uint32_t i = 0; i < 61; i++) {
        char name[9];
        (void)snprintf(name, sizeof name, "C%u", i);
        assert_int_equal(
            portfolio_define(p, &(instrument_t){.def = {.instrument_id = 1, .settle_ccy = ccy_pack(name)}}),
            ERR_OK); /* three are known */
    }
    assert_int_equal(portfolio_define(p, &(instrument_t){.def = {.instrument_id = 1, .settle_ccy = ccy_pack("LAST")}}),
                     ERR_LIMIT);
    assert_int_equal(
        portfolio_footprint(&(portfolio_cfg_t){.accounts_max = 1, .instruments_max = 1, .rows_max = UINT32_MAX}), 0);
    assert_int_equal(
        portfolio_footprint(&(portfolio_cfg_t){.accounts_max = 1, .instruments_max = 1, .lots_max = UINT32_MAX}), 0);
    assert_int_equal(
        portfolio_footprint(&(portfolio_cfg_t){.accounts_max = 1, .instruments_max = 1, .facts_max = UINT32_MAX}), 0);
    free(p);
}

static void test_movements_and_fees_that_are_none(void **state)
{
    (void)state;
    portfolio_t   *p    = with_schedules();
    const uint64_t hash = portfolio_hash(0, p);
    bool           fresh;
    cash_move_t    m = move_of("USDT", 1, 8, CASH_DEPOSIT, 1);
#define MOVE_REFUSED(field, value, err)                                                                                \
    do {                                                                                                               \
        cash_move_t bad = m;                                                                                           \
        bad.field       = (value);                                                                                     \
        assert_int_equal(portfolio_cash_move(p, &bad, &fresh), err);                                                   \
        assert_false(fresh);                                                                                           \
        assert_int_equal(portfolio_hash(0, p), hash);                                                                  \
    } while (0)
    MOVE_REFUSED(account_id, 5, ERR_NOT_FOUND);
    MOVE_REFUSED(kind, CASH_NONE, ERR_ARG);
    MOVE_REFUSED(kind, CASH_KIND_COUNT, ERR_ARG);
    MOVE_REFUSED(ccy, 0, ERR_ARG);
    MOVE_REFUSED(money_exp, -1, ERR_ARG);
    MOVE_REFUSED(money_exp, 13, ERR_ARG);
    MOVE_REFUSED(ref_lo, 0, ERR_ARG);
    MOVE_REFUSED(instrument_id, PERP, ERR_ARG); /* a deposit is of no position */
    m.kind = CASH_FUNDING;
    MOVE_REFUSED(instrument_id, COIN, ERR_ARG); /* another currency */
    MOVE_REFUSED(instrument_id, INSTRUMENTS + 1, ERR_NOT_FOUND);
    MOVE_REFUSED(amount, INT64_MAX, ERR_RANGE);
    m.kind = CASH_DEPOSIT;
    MOVE_REFUSED(amount, INT64_MAX, ERR_RANGE);
    m.money_exp = 0;
    MOVE_REFUSED(amount, INT64_MAX, ERR_RANGE); /* does not even fit our scale */
#undef MOVE_REFUSED
    misc_fee_t fee = {.exec_id_lo    = 2,
                      .ccy           = ccy_pack("USDT"),
                      .amount        = 9,
                      .money_exp     = 8,
                      .account_id    = 1,
                      .instrument_id = PERP,
                      .kind          = FEE_TAX};
#define FEE_REFUSED(field, value, err)                                                                                 \
    do {                                                                                                               \
        misc_fee_t bad = fee;                                                                                          \
        bad.field      = (value);                                                                                      \
        assert_int_equal(portfolio_misc_fee(p, &bad, &fresh), err);                                                    \
        assert_false(fresh);                                                                                           \
        assert_int_equal(portfolio_hash(0, p), hash);                                                                  \
    } while (0)
    FEE_REFUSED(account_id, 5, ERR_NOT_FOUND);
    FEE_REFUSED(instrument_id, INSTRUMENTS + 1, ERR_NOT_FOUND);
    FEE_REFUSED(kind, FEE_NONE, ERR_ARG);
    FEE_REFUSED(kind, FEE_KIND_COUNT, ERR_ARG);
    FEE_REFUSED(ccy, 0, ERR_ARG);
    FEE_REFUSED(money_exp, -1, ERR_ARG);
    FEE_REFUSED(money_exp, 13, ERR_ARG);
    FEE_REFUSED(exec_id_lo, 0, ERR_ARG);
    FEE_REFUSED(amount, INT64_MIN, ERR_RANGE);
    FEE_REFUSED(amount, INT64_MAX, ERR_RANGE);
    fee.money_exp = 0;
    FEE_REFUSED(amount, INT64_MAX, ERR_RANGE);
#undef FEE_REFUSED
    /* currencies without room: of an account, then of all */
    for (char name[] = "A"; name[0] <= 'G'; name[0]++) {
        assert_int_equal(portfolio_account_open(p, 1, ccy_pack(name), 0), ERR_OK);
    }
    fee = (misc_fee_t){
        .exec_id_lo = 2, .ccy = ccy_pack("KRW"), .amount = 9, .account_id = 1, .instrument_id = PERP, .kind = FEE_TAX};
    assert_int_equal(portfolio_misc_fee(p, &fee, &fresh), ERR_RANGE);
    m = move_of("KRW", 1, 0, CASH_DEPOSIT, 1);
    assert_int_equal(portfolio_cash_move(p, &m, &fresh), ERR_LIMIT);
    m.account_id = 3;
    for (uint64_t i = 0; i < 61; i++) {
        char name[9];
        (void)snprintf(name, sizeof name, "X%u", (unsigned)i);
        assert_int_equal(portfolio_define(p, &(instrument_t){.def = {.instrument_id = INSTRUMENTS + 1,
                                                                     .settle_ccy    = ccy_pack(name)}}),
                         ERR_OK);
    }
    m.ccy = ccy_pack("MORE");
    assert_int_equal(portfolio_cash_move(p, &m, &fresh), ERR_LIMIT);
    fee.ccy = ccy_pack("MORE");
    assert_int_equal(portfolio_misc_fee(p, &fee, &fresh), ERR_LIMIT);
    free(p);
}

static void test_too_few_rows_undo_everything(void **state)
{
    (void)state;
    portfolio_cfg_t small = cfg;
    small.rows_max        = 2;
    portfolio_t *p        = bare(&small);
    define(p, HEDGE - 2, "USDT", ACCOUNT_HEDGING, 0);
    define(p, 2, "USDT", 0, 0);
    portfolio_fill_t f = fill_of(1, PERP, 1000, 1000);
    book(p, &f);
    const uint64_t hash = portfolio_hash(0, p);
    bool           fresh;
    f             = fill_of(1, PERP, -2000, 1000); /* needs the short side and a strategy with both */
    f.strategy_id = 1;
    assert_int_equal(portfolio_fill(p, &f), ERR_RANGE);
    assert_int_equal(portfolio_hash(0, p), hash);
    f.strategy_id = 0;
    book(p, &f); /* now it is full */
    const uint64_t full = portfolio_hash(0, p);
    f                   = fill_of(2, PERP, 1, 1000);
    assert_int_equal(portfolio_fill(p, &f), ERR_RANGE);
    assert_int_equal(portfolio_funding(p, 2, PERP, 5), ERR_RANGE);
    misc_fee_t fee = {.exec_id_lo    = 2,
                      .ccy           = ccy_pack("USDT"),
                      .amount        = 9,
                      .money_exp     = 8,
                      .account_id    = 2,
                      .instrument_id = PERP,
                      .kind          = FEE_TAX};
    assert_int_equal(portfolio_misc_fee(p, &fee, &fresh), ERR_RANGE);
    fee.account_id  = 1; /* the account has a row, the strategy gets none */
    fee.strategy_id = 3;
    assert_int_equal(portfolio_misc_fee(p, &fee, &fresh), ERR_RANGE);
    assert_int_equal(portfolio_hash(0, p), full);
    check_identity(p);
    free(p);
    p               = desk(); /* fees and funding of a side that is not there yet */
    fee.account_id  = HEDGE;
    fee.strategy_id = 0;
    assert_int_equal(portfolio_misc_fee(p, &fee, &fresh), ERR_OK);
    assert_int_equal(portfolio_funding(p, BOTH, PERP, 5), ERR_OK);
    assert_int_equal(sub(p, HEDGE, PERP, 0, SIDE_BUY).fees, 9);
    assert_int_equal(position(p, BOTH, PERP).funding, 5);
    check_identity(p);
    free(p);
}

static void test_readers_of_what_is_not_there(void **state)
{
    (void)state;
    portfolio_t        *p = with_schedules();
    position_t          pos;
    portfolio_account_t a;
    int64_t             out;
    assert_false(portfolio_position(p, ACCOUNTS + 1, PERP, &pos));
    assert_false(portfolio_position(p, 1, 0, &pos));
    assert_false(portfolio_rate_follows(p, 0));
    assert_false(portfolio_rate_follows(p, INSTRUMENTS + 2));
    assert_false(portfolio_account(p, 0, 0, &a));
    assert_false(portfolio_account(p, 1, 9, &a));
    assert_false(portfolio_equity_pnl_side(p, 1, 9, &out));
    assert_false(portfolio_equity_cash_side(p, 1, 9, &out));
    assert_false(portfolio_equity_cash_side(p, 0, PORTFOLIO_HOME, &out));
    assert_int_equal(portfolio_define(p, &(instrument_t){.def = {.instrument_id = 0}}), ERR_ARG);
    free(p);
    _Alignas(64) char none[128] = {0};
    assert_null(portfolio_new(none, &(portfolio_cfg_t){.accounts_max = 0}));
    assert_null(portfolio_join(none + 8));
    assert_null(portfolio_join(none));
}

static void test_economics_stay_as_they_were_booked(void **state)
{
    (void)state;
    portfolio_t *p = desk();
    fill(p, PLAIN, PERP, 1, 1000);
    instrument_t bad[7];
    for (int i = 0; i < 7; i++) {
        bad[i] = instrument(PERP);
    }
    bad[0].def.kind       = INSTRUMENT_SPOT;
    bad[1].def.settle_ccy = ccy_pack("EUR");
    bad[2].def.px_exp++;
    bad[3].def.qty_exp++;
    bad[4].def.money_exp++;
    bad[5].def.mult_exp++;
    bad[6].def.mult++;
    for (int i = 0; i < 7; i++) {
        assert_int_equal(portfolio_define(p, &bad[i]), ERR_STATE);
    }
    free(p);
}

/* Sums over instruments leave their range where each alone does not. */
static void test_sums_that_are_too_large(void **state)
{
    (void)state;
    const int64_t top = 1LL << 60;
    portfolio_t  *p   = bare(&cfg);
    account_def_t def = account_def(1, "USDT", 0, 0);
    bool          fresh;
    def.initial = -top;
    assert_int_equal(portfolio_account_define(p, &def), ERR_OK);
    const uint32_t ids[] = {OTHER, PERP};
    for (int i = 0; i < 2; i++) { /* realised 0.7 x 10^18, twice */
        fill(p, 1, ids[i], 10000000000000, 0);
        const portfolio_fill_t out = fill_of(1, ids[i], -10000000000000, 7);
        assert_int_equal(portfolio_fill(p, &out), i == 0 ? ERR_OK : ERR_RANGE);
    }
    check_identity(p);
    free(p);
    p           = bare(&cfg);
    def.initial = top;
    assert_int_equal(portfolio_account_define(p, &def), ERR_OK);
    for (int i = 0; i < 2; i++) { /* fees likewise */
        portfolio_fill_t f = fill_of(1, ids[i], 1, 1000);
        f.fee              = 700000000000000000;
        assert_int_equal(portfolio_fill(p, &f), i == 0 ? ERR_OK : ERR_RANGE);
    }
    check_identity(p);
    free(p);
    p                = bare(&cfg); /* an estimate that cannot be taken back: fees are at their end */
    fee_schedule_t t = {.schedule_id = 1, .tiers = 1, .taker = 10000};
    schedule(p, &t);
    def         = account_def(1, "USDT", 0, 1);
    def.initial = 1000 * USDT - top;
    assert_int_equal(portfolio_account_define(p, &def), ERR_OK);
    portfolio_fill_t f = unknown(1, PERP, 1000, 1000, 1);
    book(p, &f);
    f.fee_unknown = 0;
    f.fee         = -top - account(p, 1, 0).fees;
    book(p, &f);
    const uint64_t   hash = portfolio_hash(0, p);
    const misc_fee_t fee  = {.exec_id_lo    = 1,
                             .ccy           = ccy_pack("USDT"),
                             .amount        = 9,
                             .money_exp     = 8,
                             .account_id    = 1,
                             .instrument_id = PERP,
                             .kind          = FEE_COMMISSION};
    assert_int_equal(portfolio_misc_fee(p, &fee, &fresh), ERR_RANGE);
    assert_int_equal(portfolio_hash(0, p), hash);
    check_identity(p);
    free(p);
    p = bare(&cfg); /* rates to and from currencies whose scale nobody told */
    assert_int_equal(portfolio_account_open(p, 1, ccy_pack("HOME"), 5), ERR_OK);
    assert_int_equal(portfolio_account_open(p, 1, ccy_pack("USDT"), 5), ERR_OK);
    assert_int_equal(portfolio_account_open(p, 2, ccy_pack("USDT"), 5), ERR_OK);
    assert_int_equal(portfolio_account_open(p, 2, ccy_pack("HOME"), 5), ERR_OK);
    set_rate(p, "HOME", "USDT", 1, 0, 1);
    assert_int_equal(account(p, 1, PORTFOLIO_HOME).missing, 1);
    assert_int_equal(account(p, 2, PORTFOLIO_HOME).missing, 1);
    check_identity(p);
    const instrument_t ins = instrument(PERP);
    assert_int_equal(portfolio_define(p, &ins), ERR_OK);
    cash_move_t m = move_of("HOME", 1, 0, CASH_DEPOSIT, 1); /* now it is known to all who hold it */
    m.account_id  = 2;
    assert_true(moved(p, &m));
    assert_int_equal(account(p, 1, 0).money_exp, 0);
    assert_int_equal(account(p, 1, PORTFOLIO_HOME).missing, 0);
    free(p);
}

/* Numbers of any size: what cannot be booked is refused and changes nothing, what is booked holds the identity. */
static int64_t extreme(void)
{
    const int64_t size = (int64_t)(rnd() >> (1 + rnd() % 63));
    return rnd() % 2 ? size : -size;
}

static portfolio_t *extremes_open(void)
{
    portfolio_cfg_t large = cfg;
    large.rows_max        = 100;
    large.lots_max        = 8;
    portfolio_t *p        = bare(&large);
    for (uint32_t id = 1; id <= 2; id++) {
        fee_schedule_t t = {.schedule_id = id, .tiers = 1, .tax_buy = FEE_RATE_MAX, .tax_sell = FEE_RATE_MAX};
        t.maker = t.taker = id == 1 ? FEE_RATE_MAX : -FEE_RATE_MAX;
        t.ccy             = id == 1 ? 0 : ccy_pack("BTC");
        schedule(p, &t);
    }
    for (uint32_t id = 1; id <= ACCOUNTS; id++) {
        account_def_t def = account_def(id, "USDT", (uint8_t)(id - 1), id % 3);
        def.initial       = rnd() % 2 ? 1LL << 60 : -(1LL << 60);
        assert_int_equal(portfolio_account_define(p, &def), ERR_OK);
    }
    return p;
}

/* A fill that was just booked is corrected into anything: either that, or the fill stands as before, or, where it does not
 * fit a second time, it is gone: never half of it. */
static err_t extremes_correct(portfolio_t *p, const portfolio_fill_t *was)
{
    portfolio_fill_t now = *was;
    now.qty              = llabs(extreme());
    now.px               = extreme();
    now.fee              = extreme();
    now.side             = rnd() % 2 ? SIDE_BUY : SIDE_SELL;
    const err_t booked   = portfolio_fill(p, was);
    if (booked != ERR_OK) {
        return booked;
    }
    const position_t before = position(p, was->account_id, was->instrument_id);
    const int64_t    qty    = was->side == SIDE_BUY ? was->qty : -was->qty;
    if (portfolio_correct(p, was, &now) != ERR_OK) {
        const int64_t after = position(p, was->account_id, was->instrument_id).qty;
        assert_true(after == before.qty || after == before.qty - qty);
    }
    return ERR_OK;
}

static err_t extremes_step(portfolio_t *p, uint64_t *ref)
{
    const uint32_t           account_id = (uint32_t)(rnd() % ACCOUNTS) + 1, id = (uint32_t)(rnd() % INSTRUMENTS) + 1;
    static const char *const ccys[] = {"USDT", "BTC", "KRW"};
    bool                     fresh;
    portfolio_fill_t         f = {.account_id      = account_id,
                                  .instrument_id   = id,
                                  .strategy_id     = (uint32_t)(rnd() % 3),
                                  .side            = rnd() % 2 ? SIDE_BUY : SIDE_SELL,
                                  .position_effect = (uint8_t)(rnd() % 3),
                                  .liquidity       = (uint8_t)(rnd() % 3),
                                  .fee_unknown     = rnd() % 2,
                                  .qty             = llabs(extreme()),
                                  .px              = extreme(),
                                  .exec_id_lo      = rnd() % 5};
    f.fee                      = f.fee_unknown ? 0 : rnd() % 3 ? 1 : extreme();
    f.exec_id_hi               = rnd() % 2;
    switch (rnd() % 10) {
    case 7: return portfolio_mark_stale(p, id);
    case 0: return portfolio_mark(p, id, extreme(), extreme());
    case 1: return portfolio_funding(p, account_id, id, extreme());
    case 2: return portfolio_bust(p, &f);
    case 3: {
        const misc_fee_t fee = {.exec_id_lo    = f.exec_id_lo,
                                .ccy           = ccy_pack(ccys[rnd() % 3]),
                                .amount        = extreme(),
                                .money_exp     = (int8_t)(rnd() % 13),
                                .account_id    = account_id,
                                .instrument_id = id,
                                .kind          = (uint8_t)(rnd() % 3 + 1),
                                .strategy_id   = f.strategy_id};
        return portfolio_misc_fee(p, &fee, &fresh);
    }
    case 4: {
        cash_move_t m = move_of(ccys[rnd() % 3], extreme(), (int8_t)(rnd() % 13), (cash_kind_t)(rnd() % 5 + 1), ++*ref);
        m.account_id  = account_id;
        return portfolio_cash_move(p, &m, &fresh);
    }
    case 5: {
        fx_rate_t fx = rate_of(ccys[rnd() % 3], ccys[rnd() % 3], llabs(extreme()), (int8_t)(rnd() % 13), 1);
        return portfolio_rate(p, &fx);
    }
    case 6:
        portfolio_hold(p, account_id, id, SIDE_BUY, f.px, f.qty, true);
        portfolio_hold(p, account_id, id, SIDE_BUY, f.px, f.qty, false);
        return ERR_OK;
    case 8: return extremes_correct(p, &f);
    default: return portfolio_fill(p, &f);
    }
}

static void test_extremes_hold_or_change_nothing(void **state)
{
    (void)state;
    const int    steps = getenv("HWAL_QUICK") ? 60000 : 200000;
    portfolio_t *p     = NULL;
    uint64_t     ref   = 0;
    int          good = 0, refused = 0;
    for (int i = 0; i < steps; i++) {
        if (i % 100 == 0) {
            free(p);
            p = extremes_open();
        }
        const uint64_t hash = portfolio_hash(0, p);
        const err_t    err  = extremes_step(p, &ref);
        if (err == ERR_OK) {
            good++;
        } else {
            refused++;
            assert_true(err == ERR_RANGE || err == ERR_ARG);
            assert_true(portfolio_hash(0, p) == hash);
        }
        check_identity(p);
    }
    free(p);
    printf("  %d booked, %d refused\n", good, refused);
    assert_true(good > steps / 10 && refused > steps / 10);
}

/* A mark that the second of two sides cannot bear is taken by none. */
static void test_a_mark_goes_back_where_one_cannot_bear_it(void **state)
{
    (void)state;
    portfolio_t *p = desk();
    fill(p, PLAIN, OTHER, 1000, 10);
    fill(p, LOTS, OTHER, 1000, 10);
    fill(p, HEDGE, OTHER, 1000000000000, 10); /* newest: it is looked at first, so make it the last */
    fill(p, PLAIN, OTHER, -1000, 10);
    fill(p, PLAIN, OTHER, 1000, 10);
    fill(p, LOTS, OTHER, -1000, 10);
    fill(p, LOTS, OTHER, 1000, 10);
    const uint64_t hash = portfolio_hash(0, p);
    assert_int_equal(portfolio_mark(p, OTHER, 1000000, 1000000), ERR_RANGE);
    assert_int_equal(portfolio_hash(0, p), hash);
    assert_int_equal(portfolio_mark(p, OTHER, 20, 20), ERR_OK);
    check_identity(p);
    free(p);
}

int main(void)
{
    const char *seed = getenv("HWAL_SEED");
    rng_state        = seed != NULL ? strtoull(seed, NULL, 0) : 20240811;
    printf("HWAL_SEED=%llu\n", (unsigned long long)rng_state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lots_leave_in_the_order_in_which_they_came),
        cmocka_unit_test(test_a_full_pool_joins_the_oldest_lots),
        cmocka_unit_test(test_a_bust_gives_cash_back_whatever_the_lots),
        cmocka_unit_test(test_sides_stand_beside_each_other),
        cmocka_unit_test(test_busts_find_their_side),
        cmocka_unit_test(test_corrections_put_the_right_fill_in_its_place),
        cmocka_unit_test(test_strategies_sum_to_the_account),
        cmocka_unit_test(test_a_strategy_is_told_at_the_mark_of_the_account),
        cmocka_unit_test(test_home_currency_by_stamped_rates),
        cmocka_unit_test(test_inverse_rates_are_divided),
        cmocka_unit_test(test_a_rate_follows_an_instrument),
        cmocka_unit_test(test_rates_that_are_none),
        cmocka_unit_test(test_a_tenant_is_the_sum_of_its_accounts),
        cmocka_unit_test(test_movements_are_booked_once),
        cmocka_unit_test(test_holds_come_and_go),
        cmocka_unit_test(test_settled_cash),
        cmocka_unit_test(test_korean_tax_by_hand),
        cmocka_unit_test(test_fee_currency_without_a_rate),
        cmocka_unit_test(test_tiers_follow_what_was_traded),
        cmocka_unit_test(test_korean_tax_in_whole_won),
        cmocka_unit_test(test_a_fee_in_a_third_currency),
        cmocka_unit_test(test_volume_in_the_home_currency),
        cmocka_unit_test(test_definitions_that_are_none),
        cmocka_unit_test(test_movements_and_fees_that_are_none),
        cmocka_unit_test(test_too_few_rows_undo_everything),
        cmocka_unit_test(test_readers_of_what_is_not_there),
        cmocka_unit_test(test_economics_stay_as_they_were_booked),
        cmocka_unit_test(test_sums_that_are_too_large),
        cmocka_unit_test(test_extremes_hold_or_change_nothing),
        cmocka_unit_test(test_a_mark_goes_back_where_one_cannot_bear_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
