/* Invariants
 *   1. Life: footprint, new and join refuse what they must; a byte copy of the arena is the same portfolio and goes on
 *      alike.
 *   2. Hand-computed examples: average cost, closing, flipping, short, inverse, fees, rebates, funding, busts, day
 *   figures. 3. After every event of a random history (spot, linear, fractional money, inverse, negative prices; three
 *      accounts; flips, busts, funding, stale marks): both equity sides are equal, and everything equals a model that
 *      computes from the list of fills each time; equity is not above the exact value and less than two units a
 *   position below it. 4. With extreme numbers every call either holds the identity or answers ERR_RANGE and leaves the
 *   hash as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/portfolio/portfolio.h"

static uint64_t rng_state;

static uint64_t rnd(void)
{
    uint64_t z = (rng_state += 0x9e3779b97f4a7c15ULL);
    z          = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z          = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static int64_t rnd_in(int64_t low, int64_t high)
{
    return low + (int64_t)(rnd() % (uint64_t)(high - low + 1));
}

/* ---- fixture ----------------------------------------------------------------------------------------------------- */

enum { ACCOUNTS = 3, INSTRUMENTS = 5 };
enum { SPOT = 1, LINEAR, FRACTION, INVERSE, NEGATIVE };

static const instrument_def_t defs[INSTRUMENTS] = {
    {.instrument_id = SPOT, .kind = INSTRUMENT_SPOT, .px_exp = 2, .qty_exp = 5, .money_exp = 8, .mult = 1, .lot = 1},
    {.instrument_id = LINEAR,
     .kind          = INSTRUMENT_LINEAR,
     .px_exp        = 1,
     .qty_exp       = 3,
     .money_exp     = 8,
     .mult          = 1,
     .lot           = 1},
    {.instrument_id = FRACTION,
     .kind          = INSTRUMENT_LINEAR,
     .px_exp        = 4,
     .qty_exp       = 4,
     .money_exp     = 0,
     .mult_exp      = 4,
     .mult          = 33333,
     .lot           = 1},
    {.instrument_id = INVERSE, .kind = INSTRUMENT_INVERSE, .px_exp = 1, .money_exp = 8, .mult = 100, .lot = 1},
    {.instrument_id  = NEGATIVE,
     .kind           = INSTRUMENT_LINEAR,
     .allow_negative = 1,
     .px_exp         = 2,
     .money_exp      = 8,
     .mult           = 10,
     .lot            = 1},
};
static const char *const ccys[INSTRUMENTS] = {"USDT", "USDT", "KRW", "BTC", "USDT"};

static instrument_t instrument(uint32_t id)
{
    instrument_t     ins;
    instrument_def_t def = defs[id - 1];
    def.settle_ccy       = ccy_pack(ccys[id - 1]);
    if (instrument_init(&ins, &def, "TEST", (tick_band_t[]){{0, 1}}, 1) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
    return ins;
}

static const portfolio_cfg_t cfg = {.accounts_max = ACCOUNTS, .instruments_max = INSTRUMENTS + 1};

static portfolio_t *open_portfolio(int64_t initial)
{
    void        *mem = aligned_alloc(portfolio_align(), portfolio_footprint(&cfg));
    portfolio_t *p   = portfolio_join(portfolio_new(mem, &cfg));
    assert_non_null(p);
    for (uint32_t id = 1; id <= INSTRUMENTS; id++) {
        const instrument_t ins = instrument(id);
        assert_int_equal(portfolio_define(p, &ins), ERR_OK);
    }
    for (uint32_t id = 1; id <= ACCOUNTS; id++) {
        assert_int_equal(portfolio_account_open(p, id, ccy_pack("USDT"), initial), ERR_OK);
    }
    return p;
}

static portfolio_fill_t fill_of(uint32_t account, uint32_t id, int64_t qty, int64_t px, int64_t fee)
{
    return (portfolio_fill_t){.account_id    = account,
                              .instrument_id = id,
                              .side          = qty > 0 ? SIDE_BUY : SIDE_SELL,
                              .qty           = qty > 0 ? qty : -qty,
                              .px            = px,
                              .fee           = fee};
}

static void fill(portfolio_t *p, uint32_t account, uint32_t id, int64_t qty, int64_t px, int64_t fee)
{
    const portfolio_fill_t f = fill_of(account, id, qty, px, fee);
    if (portfolio_fill(p, &f) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
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

static void check_identity(const portfolio_t *p)
{
    for (uint32_t id = 1; id <= ACCOUNTS; id++) {
        int64_t cash_side = 0;
        for (uint32_t i = 0; portfolio_equity_cash_side(p, id, i, &cash_side); i++) {
            int64_t pnl_side = -1;
            assert_true(portfolio_equity_pnl_side(p, id, i, &pnl_side));
            assert_int_equal(cash_side, pnl_side);
        }
    }
}

#define USDT 100000000LL /* money_exp 8 */

/* ---- 1 ----------------------------------------------------------------------------------------------------------- */

#define CFG(accounts, instruments) (&(portfolio_cfg_t){.accounts_max = (accounts), .instruments_max = (instruments)})

static void test_life_refuses_bad_memory_and_sizes(void **state)
{
    (void)state;
    _Alignas(64) static unsigned char raw[4096];
    assert_int_equal(portfolio_footprint(CFG(0, 1)), 0);
    assert_int_equal(portfolio_footprint(CFG(1, 0)), 0);
    assert_int_equal(portfolio_footprint(CFG(4097, 1)), 0);
    assert_int_equal(portfolio_footprint(CFG(1, 65537)), 0);
    assert_int_equal(portfolio_footprint(CFG(4096, 1025)), 0);
    assert_non_null(strstr(err_msg(), "4194304"));
    assert_true(portfolio_footprint(CFG(4096, 1024)) > 0);
    assert_null(portfolio_new(raw + 8, CFG(1, 1)));
    assert_null(portfolio_new(NULL, CFG(1, 1)));
    assert_null(portfolio_join(raw));
    assert_null(portfolio_join(NULL));
}

static void test_copy_of_bytes_goes_on_alike(void **state)
{
    (void)state;
    const size_t bytes = portfolio_footprint(&cfg);
    portfolio_t *p     = open_portfolio(1000 * USDT);
    fill(p, 1, LINEAR, 500, 600000, 7);
    fill(p, 2, INVERSE, -30, 600001, 7);
    void *mem = aligned_alloc(portfolio_align(), bytes);
    memcpy(mem, (const void *)p, bytes);
    portfolio_t *q = portfolio_join(mem);
    assert_non_null(q);
    assert_int_equal(portfolio_hash(1, p), portfolio_hash(1, q));
    fill(p, 1, LINEAR, -700, 600010, 7);
    assert_int_not_equal(portfolio_hash(1, p), portfolio_hash(1, q));
    fill(q, 1, LINEAR, -700, 600010, 7);
    assert_int_equal(portfolio_hash(1, p), portfolio_hash(1, q));
    free(p);
    free(q);
}

static void test_refusals_change_nothing(void **state)
{
    (void)state;
    portfolio_t     *p    = open_portfolio(1000 * USDT);
    const uint64_t   hash = portfolio_hash(1, p);
    instrument_t     ins  = instrument(LINEAR);
    position_t       pos;
    portfolio_fill_t f = fill_of(1, LINEAR, 5, 100, 0);
#define FILL_REFUSED(field, value, err)                                                                                \
    do {                                                                                                               \
        portfolio_fill_t bad = f;                                                                                      \
        bad.field            = (value);                                                                                \
        assert_int_equal(portfolio_fill(p, &bad), err);                                                                \
        assert_int_equal(portfolio_bust(p, &bad), err);                                                                \
    } while (0)
    FILL_REFUSED(account_id, 0, ERR_NOT_FOUND);
    FILL_REFUSED(account_id, ACCOUNTS + 1, ERR_NOT_FOUND);
    FILL_REFUSED(instrument_id, 0, ERR_NOT_FOUND);
    FILL_REFUSED(instrument_id, INSTRUMENTS + 1, ERR_NOT_FOUND); /* has room, is not defined */
    FILL_REFUSED(instrument_id, INSTRUMENTS + 2, ERR_NOT_FOUND);
    FILL_REFUSED(side, SIDE_NONE, ERR_ARG);
    FILL_REFUSED(side, 3, ERR_ARG);
    FILL_REFUSED(qty, 0, ERR_ARG);
    FILL_REFUSED(qty, INT64_MIN, ERR_ARG);
    f = fill_of(1, INVERSE, 5, 100, 0); /* has no value at such a price; any other is booked as the venue says */
    FILL_REFUSED(px, 0, ERR_ARG);
    FILL_REFUSED(px, -1, ERR_ARG);
    f = fill_of(1, LINEAR, 5, 100, 0);
    FILL_REFUSED(fee, INT64_MIN, ERR_RANGE);
    FILL_REFUSED(fee, (1LL << 60) + 1, ERR_RANGE);
#undef FILL_REFUSED
    assert_int_equal(portfolio_mark(p, INSTRUMENTS + 1, 1, 2), ERR_NOT_FOUND);
    assert_int_equal(portfolio_mark_stale(p, INSTRUMENTS + 1), ERR_NOT_FOUND);
    assert_int_equal(portfolio_mark(p, LINEAR, 0, 2), ERR_ARG);
    assert_int_equal(portfolio_mark(p, INVERSE, 1, -1), ERR_ARG);
    assert_int_equal(portfolio_mark_stale(p, LINEAR), ERR_OK); /* never marked: nothing to distrust */
    assert_int_equal(portfolio_funding(p, 1, INSTRUMENTS + 1, 1), ERR_NOT_FOUND);
    assert_int_equal(portfolio_day_start(p, ACCOUNTS + 1), ERR_NOT_FOUND);
    assert_int_equal(portfolio_account_open(p, 1, ccy_pack("USDT"), 0), ERR_EXISTS);
    assert_int_equal(portfolio_account_open(p, 1, 0, 0), ERR_ARG);
    assert_int_equal(portfolio_account_open(p, 0, ccy_pack("EUR"), 0), ERR_ARG);
    assert_int_equal(portfolio_account_open(p, ACCOUNTS + 1, ccy_pack("EUR"), 0), ERR_ARG);
    assert_int_equal(portfolio_account_open(p, 1, ccy_pack("EUR"), (1LL << 60) + 1), ERR_ARG);
    ins.def.instrument_id = INSTRUMENTS + 2;
    assert_int_equal(portfolio_define(p, &ins), ERR_ARG);
    ins.def.instrument_id = INSTRUMENTS + 1;
    ins.def.money_exp     = 6; /* USDT is 8 already */
    assert_int_equal(portfolio_define(p, &ins), ERR_ARG);
    assert_false(portfolio_position(p, 1, LINEAR, &pos));
    assert_int_equal(portfolio_hash(1, p), hash);
    free(p);
}

static void test_currencies_open_by_themselves_up_to_their_limit(void **state)
{
    (void)state;
    portfolio_t *p      = open_portfolio(1000 * USDT);
    char         name[] = "A";
    fill(p, 1, INVERSE, 1, 600000, 5);
    assert_int_equal(account(p, 1, 1).ccy, ccy_pack("BTC"));
    assert_int_equal(account(p, 1, 1).initial, 0);
    assert_int_equal(account(p, 1, 1).money_exp, 8);
    for (uint32_t i = 2; i < PORTFOLIO_CCYS_MAX; i++, name[0]++) {
        assert_int_equal(portfolio_account_open(p, 1, ccy_pack(name), 5), ERR_OK);
        assert_int_equal(account(p, 1, i).money_exp, -1);
    }
    const uint64_t         hash = portfolio_hash(1, p);
    const portfolio_fill_t f    = fill_of(1, FRACTION, 1, 10000, 0);
    assert_int_equal(portfolio_account_open(p, 1, ccy_pack("EUR"), 5), ERR_LIMIT);
    assert_int_equal(portfolio_fill(p, &f), ERR_LIMIT);
    assert_int_equal(portfolio_funding(p, 1, FRACTION, 1), ERR_LIMIT);
    assert_int_equal(portfolio_hash(1, p), hash);
    check_identity(p);
    free(p);
}

static void test_redefinition_keeps_booked_economics(void **state)
{
    (void)state;
    portfolio_t *p   = open_portfolio(1000 * USDT);
    instrument_t ins = instrument(LINEAR);
    ins.def.mult     = 10;
    assert_int_equal(portfolio_define(p, &ins), ERR_OK); /* nothing booked yet */
    fill(p, 2, LINEAR, 1000, 1000, 0);
    assert_int_equal(position(p, 2, LINEAR).cost, 1000 * USDT);
    ins.def.lot = 5;
    assert_int_equal(portfolio_define(p, &ins), ERR_OK);
    ins.def.mult = 1;
    assert_int_equal(portfolio_define(p, &ins), ERR_STATE);
    free(p);
}

/* ---- 2 ----------------------------------------------------------------------------------------------------------- */

static void expect(const portfolio_t *p, uint32_t id, int64_t qty, int64_t cost, int64_t realised, int64_t unrealised)
{
    const position_t pos = position(p, 1, id);
    assert_int_equal(pos.qty, qty);
    assert_int_equal(pos.cost, cost);
    assert_int_equal(pos.realised, realised);
    assert_int_equal(pos.unrealised, unrealised);
    check_identity(p);
}

static void test_average_cost_by_hand(void **state)
{
    (void)state;
    portfolio_t *p = open_portfolio(1000 * USDT);
    fill(p, 1, LINEAR, 1000, 1000, USDT); /* 1 at 100 */
    expect(p, LINEAR, 1000, 100 * USDT, 0, 0);
    assert_int_equal(portfolio_mark(p, LINEAR, 1050, 1060), ERR_OK); /* a long is worth the bid */
    expect(p, LINEAR, 1000, 100 * USDT, 0, 5 * USDT);
    fill(p, 1, LINEAR, 1000, 1100, USDT); /* 1 at 110: average 105 */
    expect(p, LINEAR, 2000, 210 * USDT, 0, 0);
    fill(p, 1, LINEAR, -1000, 1200, -USDT / 2); /* +15, and a rebate */
    expect(p, LINEAR, 1000, 105 * USDT, 15 * USDT, 0);
    fill(p, 1, LINEAR, -3000, 1000, 0); /* closes 1 at -5, opens short 2 at 100; a short costs the ask */
    expect(p, LINEAR, -2000, -200 * USDT, 10 * USDT, -12 * USDT);
    assert_int_equal(position(p, 1, LINEAR).mark_px, 1060);
    assert_int_equal(portfolio_funding(p, 1, LINEAR, -3 * USDT), ERR_OK);
    fill(p, 1, LINEAR, 2000, 900, 0); /* +20 */
    expect(p, LINEAR, 0, 0, 30 * USDT, 0);
    const portfolio_account_t a = account(p, 1, 0);
    assert_int_equal(a.fees, 3 * USDT / 2);
    assert_int_equal(a.funding, -3 * USDT);
    assert_int_equal(a.cash, (1000 + 30 - 3) * USDT - 3 * USDT / 2);
    assert_int_equal(a.equity, a.cash);
    free(p);
}

static void test_inverse_by_hand(void **state)
{
    (void)state;
    portfolio_t *p = open_portfolio(0);
    fill(p, 1, INVERSE, 100, 500000, 0); /* 10,000 USD at 50,000: -0.2 BTC, cost negative */
    expect(p, INVERSE, 100, -20000000, 0, 0);
    assert_int_equal(portfolio_mark(p, INVERSE, 600000, 600001), ERR_OK);
    expect(p, INVERSE, 100, -20000000, 0, 3333333); /* 0.2 - 0.16666667: the value is rounded down */
    fill(p, 1, INVERSE, -100, 600000, 0);
    expect(p, INVERSE, 0, 0, 3333333, 0);
    fill(p, 1, INVERSE, -100, 600000, 0); /* short: gains when the price falls */
    assert_int_equal(portfolio_mark(p, INVERSE, 499999, 500000), ERR_OK);
    fill(p, 1, INVERSE, 100, 500000, 0);
    const int64_t realised = position(p, 1, INVERSE).realised; /* 2 x 0.0333.., less at most a unit */
    assert_in_range(realised, 6666665, 6666666);
    free(p);
}

static void test_remainders_do_not_drift(void **state)
{
    (void)state;
    portfolio_t *p = open_portfolio(0);
    for (int i = 0; i < 3000; i++) {          /* each is worth 1/3 of a unit of money */
        fill(p, 1, FRACTION, 10000, 1000, 0); /* 1 x 0.1 x 3.3333 */
    }
    assert_int_equal(account(p, 1, 1).cash, -1000); /* 999.99: three thousand roundings would make 3000 */
    check_identity(p);
    free(p);
}

static void test_bust_takes_a_fill_back(void **state)
{
    (void)state;
    portfolio_t *p = open_portfolio(1000 * USDT);
    fill(p, 1, INVERSE, 7, 612345, 11);
    const portfolio_account_t before = account(p, 1, 1);
    const portfolio_fill_t    f      = fill_of(1, INVERSE, -13, 698765, -4);
    assert_int_equal(portfolio_fill(p, &f), ERR_OK);
    check_identity(p);
    assert_int_equal(portfolio_bust(p, &f), ERR_OK);
    check_identity(p);
    const portfolio_account_t after = account(p, 1, 1);
    assert_int_equal(position(p, 1, INVERSE).qty, 7);
    assert_int_equal(after.cash, before.cash);
    assert_int_equal(after.fees, before.fees);
    assert_int_equal(after.equity, before.equity);
    free(p);
}

static void test_day_figures(void **state)
{
    (void)state;
    portfolio_t *p = open_portfolio(1000 * USDT);
    fill(p, 1, LINEAR, 1000, 1000, USDT);
    fill(p, 1, LINEAR, -500, 1100, USDT);
    assert_int_equal(account(p, 1, 0).pnl_day, (5 + 5 - 2) * USDT - 5 * USDT); /* mark is the first fill's price */
    assert_int_equal(portfolio_day_start(p, 1), ERR_OK);
    assert_int_equal(account(p, 1, 0).realised_day, 0);
    assert_int_equal(account(p, 1, 0).fees_day, 0);
    assert_int_equal(portfolio_mark(p, LINEAR, 1200, 1210), ERR_OK);
    assert_int_equal(account(p, 1, 0).pnl_day, 10 * USDT);
    assert_int_equal(account(p, 1, 0).drawdown, 0);
    assert_int_equal(portfolio_mark(p, LINEAR, 1100, 1110), ERR_OK);
    assert_int_equal(account(p, 1, 0).drawdown, 5 * USDT);
    assert_int_equal(portfolio_mark_stale(p, LINEAR), ERR_OK); /* a gain on a stale mark does not count, ... */
    assert_int_equal(account(p, 1, 0).pnl_day, 0);
    assert_int_equal(account(p, 1, 0).unrealised, 5 * USDT);
    assert_int_equal(account(p, 1, 0).drawdown, 5 * USDT);
    fill(p, 1, LINEAR, 500, 1100, 0);
    assert_int_equal(account(p, 1, 0).pnl_day, 0);
    assert_int_equal(portfolio_mark(p, LINEAR, 1100, 1110), ERR_OK); /* the same prices, fresh */
    assert_int_equal(account(p, 1, 0).pnl_day, 5 * USDT);
    assert_int_equal(portfolio_mark(p, LINEAR, 900, 910), ERR_OK);
    assert_int_equal(portfolio_mark_stale(p, LINEAR), ERR_OK); /* ... a loss does */
    assert_int_equal(account(p, 1, 0).pnl_day, -15 * USDT);
    fill(p, 1, LINEAR, -1000, 1000, 0); /* out at 100: the average was 105 */
    assert_int_equal(account(p, 1, 0).realised_day, -5 * USDT);
    assert_int_equal(account(p, 1, 0).pnl_day, -5 * USDT);
    check_identity(p);
    free(p);
}

/* ---- 3: the model ------------------------------------------------------------------------------------------------ */

#define EVENTS_MAX 400
#define NANO 1000000000

typedef struct event {
    portfolio_fill_t f;
    bool             bust;
} event_t;

typedef struct model {
    event_t events[EVENTS_MAX];
    int     count;
    int64_t funding[ACCOUNTS + 1][INSTRUMENTS + 1];
    int64_t bid[INSTRUMENTS + 1];
    int64_t ask[INSTRUMENTS + 1];
    bool    marked[INSTRUMENTS + 1];
    bool    stale[INSTRUMENTS + 1];
    i128_t  peak[ACCOUNTS + 1][INSTRUMENTS + 1]; /* by currency, named by its first instrument */
    i128_t  realised_base[ACCOUNTS + 1][INSTRUMENTS + 1];
    i128_t  fees_base[ACCOUNTS + 1][INSTRUMENTS + 1];
} model_t;

typedef struct figures {
    i128_t qty, cash, cost, realised, unrealised, haircut, fees, nano;
    i128_t exact; /* equity in 10^-15 of the money unit, each term exact or floored once */
    bool   any;
} figures_t;

static i128_t floored(i128_t n, i128_t d)
{
    i128_t q = n / d;
    while (q * d > n) {
        q--;
    }
    return q;
}

static i128_t ten(int n)
{
    i128_t v = 1;
    while (n-- > 0) {
        v *= 10;
    }
    return v;
}

/* Value in 10^-digits of the money unit, rounded down. The test's own formula; its prices and quantities are small. */
static i128_t value(uint32_t id, i128_t px, i128_t qty, int digits)
{
    const instrument_def_t *d = &defs[id - 1];
    if (d->kind == INSTRUMENT_INVERSE) {
        return floored(-qty * d->mult * ten(d->money_exp + digits + d->px_exp), px * ten(d->qty_exp + d->mult_exp));
    }
    return floored(px * qty * d->mult * ten(d->money_exp + digits), ten(d->px_exp + d->qty_exp + d->mult_exp));
}

static figures_t figures(const model_t *m, uint32_t account_id, uint32_t id)
{
    figures_t r = {.any = m->funding[account_id][id] != 0};
    for (int i = 0; i < m->count; i++) {
        const event_t *e = &m->events[i];
        if (e->f.account_id != account_id || e->f.instrument_id != id) {
            continue;
        }
        const i128_t signed_qty = e->f.side == SIDE_BUY ? e->f.qty : -e->f.qty;
        const i128_t qty        = e->bust ? -signed_qty : signed_qty;
        const i128_t flow       = e->bust ? -value(id, e->f.px, -signed_qty, 9) : value(id, e->f.px, -signed_qty, 9);
        const i128_t got        = floored(r.nano + flow, NANO) - floored(r.nano, NANO);
        const i128_t size       = r.qty < 0 ? -r.qty : r.qty;
        const i128_t traded     = qty < 0 ? -qty : qty;
        r.any                   = true;
        r.nano += flow;
        r.fees += e->bust ? -e->f.fee : e->f.fee;
        r.exact += (e->bust ? -1 : 1) * value(id, e->f.px, -signed_qty, 15);
        if (r.qty * qty >= 0) {
            r.cost -= got;
        } else if (traded <= size) {
            const i128_t part = -floored(-r.cost * traded, size);
            r.realised += got - part;
            r.cost -= part;
        } else {
            const i128_t open = -floored(value(id, e->f.px, -(r.qty + qty), 9), NANO);
            r.realised += got + open - r.cost;
            r.cost = open;
        }
        r.qty += qty;
    }
    const int64_t mark = r.qty > 0 ? m->bid[id] : m->ask[id];
    if (r.qty != 0) {
        r.unrealised = floored(value(id, mark, r.qty, 9), NANO) - r.cost;
        r.haircut    = m->stale[id] && r.unrealised > 0 ? r.unrealised : 0;
        r.exact += value(id, mark, r.qty, 15);
    }
    r.cash = floored(r.nano, NANO) - r.fees + m->funding[account_id][id];
    r.exact += (m->funding[account_id][id] - r.fees) * ten(15);
    return r;
}

/* Compare one currency of one account; its instruments are those whose name in ccys is the same. */
static void check_currency(const portfolio_t *p, model_t *m, uint32_t account_id, uint32_t first, int64_t initial)
{
    i128_t cash = initial, realised = 0, unrealised = 0, haircut = 0, fees = 0, funding = 0, exact = initial * ten(15);
    int    positions = 0;
    bool   any       = false;
    for (uint32_t id = first; id <= INSTRUMENTS; id++) {
        if (strcmp(ccys[id - 1], ccys[first - 1]) != 0) {
            continue;
        }
        const figures_t  r   = figures(m, account_id, id);
        const position_t pos = position(p, account_id, id);
        assert_true(pos.qty == r.qty && pos.cost == r.cost && pos.realised == r.realised && pos.fees == r.fees);
        assert_true(pos.unrealised == r.unrealised && pos.funding == m->funding[account_id][id]);
        cash += r.cash, realised += r.realised, unrealised += r.unrealised, haircut += r.haircut, fees += r.fees;
        funding += m->funding[account_id][id], exact += r.exact, positions++;
        any = any || r.any;
    }
    portfolio_account_t a     = {0};
    uint32_t            index = 0;
    while (portfolio_account(p, account_id, index, &a) && a.ccy != ccy_pack(ccys[first - 1])) {
        index++;
    }
    if (!any && first != SPOT) {
        return;
    }
    const i128_t equity = initial + realised + unrealised - fees + funding;
    i128_t      *peak   = &m->peak[account_id][first];
    *peak               = equity > *peak ? equity : *peak;
    assert_true(a.ccy == ccy_pack(ccys[first - 1]) && a.initial == initial && a.cash == cash && a.realised == realised);
    assert_true(a.unrealised == unrealised && a.fees == fees && a.funding == funding && a.equity == equity);
    assert_true(a.realised_day == realised - m->realised_base[account_id][first]);
    assert_true(a.fees_day == fees - m->fees_base[account_id][first]);
    assert_true(a.pnl_day == a.realised_day + unrealised - haircut - a.fees_day);
    assert_true(a.drawdown == *peak - equity);
    const i128_t short_of_exact = exact - equity * ten(15); /* the model's own floors are 10^-15 each */
    assert_true(short_of_exact > -EVENTS_MAX && short_of_exact < 2 * positions * ten(15));
}

static void check_all(const portfolio_t *p, model_t *m, int64_t initial)
{
    check_identity(p);
    for (uint32_t id = 1; id <= ACCOUNTS; id++) {
        check_currency(p, m, id, SPOT, initial);
        check_currency(p, m, id, FRACTION, 0);
        check_currency(p, m, id, INVERSE, 0);
    }
}

static int64_t rnd_px(uint32_t id)
{
    switch (id) {
    case NEGATIVE: return rnd_in(-4000, 4000);
    case FRACTION: return rnd_in(9000, 11000);
    default: return rnd_in(550000, 650000);
    }
}

static void model_fill(portfolio_t *p, model_t *m, const portfolio_fill_t *f, bool bust)
{
    const err_t err = bust ? portfolio_bust(p, f) : portfolio_fill(p, f);
    assert_int_equal(err, ERR_OK);
    m->events[m->count++] = (event_t){*f, bust};
    if (!m->marked[f->instrument_id]) {
        m->marked[f->instrument_id] = true;
        m->bid[f->instrument_id] = m->ask[f->instrument_id] = f->px;
    }
}

static void model_day_start(portfolio_t *p, model_t *m, uint32_t account_id)
{
    portfolio_account_t a;
    assert_int_equal(portfolio_day_start(p, account_id), ERR_OK);
    for (uint32_t i = 0; portfolio_account(p, account_id, i, &a); i++) {
        const uint32_t first = a.ccy == ccy_pack("USDT") ? SPOT : a.ccy == ccy_pack("KRW") ? FRACTION : INVERSE;
        m->realised_base[account_id][first] = a.realised; /* checked against the model one event ago */
        m->fees_base[account_id][first]     = a.fees;
        m->peak[account_id][first]          = a.equity;
    }
}

static void step(portfolio_t *p, model_t *m)
{
    const uint32_t account_id = (uint32_t)rnd_in(1, ACCOUNTS);
    const uint32_t id         = (uint32_t)rnd_in(1, INSTRUMENTS);
    const uint64_t kind       = rnd() % 20;
    if (kind < 10) {
        const int64_t          qty = rnd_in(1, rnd() % 4 ? 30 : 100000);
        const portfolio_fill_t f   = fill_of(account_id, id, rnd() % 2 ? qty : -qty, rnd_px(id), rnd_in(-50, 200));
        model_fill(p, m, &f, false);
    } else if (kind == 10) { /* out of the market, to the unit */
        const int64_t qty = position(p, account_id, id).qty;
        if (qty != 0) {
            const portfolio_fill_t f = fill_of(account_id, id, -qty, rnd_px(id), 3);
            model_fill(p, m, &f, false);
        }
    } else if (kind == 11 && m->count > 0) {
        const event_t *e = &m->events[rnd() % (uint64_t)m->count];
        if (!e->bust) {
            const portfolio_fill_t f = e->f;
            model_fill(p, m, &f, true);
        }
    } else if (kind == 12) {
        const int64_t received = rnd_in(-1000, 1000);
        assert_int_equal(portfolio_funding(p, account_id, id, received), ERR_OK);
        m->funding[account_id][id] += received;
    } else if (kind == 13) {
        assert_int_equal(portfolio_mark_stale(p, id), ERR_OK);
        m->stale[id] = m->marked[id];
    } else if (kind == 14 && rnd() % 4 == 0) {
        model_day_start(p, m, account_id);
    } else {
        m->bid[id]    = rnd_px(id);
        m->ask[id]    = m->bid[id] + rnd_in(1, 20);
        m->marked[id] = true;
        m->stale[id]  = false;
        assert_int_equal(portfolio_mark(p, id, m->bid[id], m->ask[id]), ERR_OK);
    }
}

static void test_random_histories_equal_the_model(void **state)
{
    (void)state;
    static model_t m;
    for (int run = 0; run < 12; run++) {
        const int64_t initial = rnd_in(0, 1000000) * USDT;
        portfolio_t  *p       = open_portfolio(initial);
        memset(&m, 0, sizeof m);
        for (uint32_t id = 1; id <= ACCOUNTS; id++) {
            m.peak[id][SPOT] = initial;
        }
        for (int i = 0; m.count < EVENTS_MAX && i < EVENTS_MAX; i++) {
            step(p, &m);
            check_all(p, &m, initial);
        }
        free(p);
    }
}

/* ---- 4 ----------------------------------------------------------------------------------------------------------- */

static int64_t rnd_extreme(void)
{
    const int64_t size = (int64_t)(rnd() >> (1 + rnd() % 63));
    return rnd() % 2 ? size : -size;
}

static void test_extremes_hold_or_change_nothing(void **state)
{
    (void)state;
    uint32_t     booked  = 0;
    uint32_t     refused = 0;
    portfolio_t *p       = NULL;
    for (int i = 0; i < 40000; i++) {
        if (i % 200 == 0) {
            free(p);
            p = open_portfolio(rnd() % 2 ? 1LL << 60 : -(1LL << 60));
        }
        const uint32_t   account_id = (uint32_t)rnd_in(1, ACCOUNTS);
        const uint32_t   id         = (uint32_t)rnd_in(1, INSTRUMENTS);
        const uint64_t   hash       = portfolio_hash(1, p);
        portfolio_fill_t f          = {.account_id    = account_id,
                                       .instrument_id = id,
                                       .side          = rnd() % 2 ? SIDE_BUY : SIDE_SELL,
                                       .qty           = llabs(rnd_extreme()),
                                       .px            = rnd_extreme(),
                                       .fee           = rnd() % 4 ? 1 : rnd_extreme()};
        err_t            err        = ERR_OK;
        switch (rnd() % 5) {
        case 0: err = portfolio_mark(p, id, rnd_extreme(), rnd_extreme()); break;
        case 1: err = portfolio_funding(p, account_id, id, rnd_extreme()); break;
        case 2: err = portfolio_bust(p, &f); break;
        default: err = portfolio_fill(p, &f); break;
        }
        if (err == ERR_OK) {
            booked++;
        } else {
            refused++;
            assert_true(err == ERR_RANGE || err == ERR_ARG);
            assert_int_equal(portfolio_hash(1, p), hash);
        }
        check_identity(p);
    }
    free(p);
    assert_true(booked > 2000 && refused > 2000);
}

static void test_bounds_of_quantity_and_equity(void **state)
{
    (void)state;
    const int64_t    top = 1LL << 60;
    portfolio_t     *p   = open_portfolio(top);
    portfolio_fill_t f   = fill_of(2, NEGATIVE, INT64_MAX, 0, 0); /* worth nothing: only the quantity counts */
    assert_int_equal(portfolio_fill(p, &f), ERR_OK);
    f.qty = 1;
    assert_int_equal(portfolio_fill(p, &f), ERR_RANGE);
    f.side = SIDE_SELL;
    assert_int_equal(portfolio_fill(p, &f), ERR_OK);
    assert_int_equal(portfolio_mark(p, NEGATIVE, 100, 100), ERR_RANGE); /* worth too much: the mark stays at 0 */
    assert_int_equal(position(p, 2, NEGATIVE).mark_px, 0);
    f.qty = INT64_MAX - 1;
    assert_int_equal(portfolio_fill(p, &f), ERR_OK);
    /* Account 1 reaches equity 2^62 - 1 while every total stays within 2^60; one unit more is refused. */
    fill(p, 1, LINEAR, 1, 115292150460684, 0);
    fill(p, 1, SPOT, 1, 100, 0);
    fill(p, 1, SPOT, -1, 102, 0); /* realised 20 */
    assert_int_equal(portfolio_funding(p, 1, LINEAR, 1152921504606839000), ERR_OK);
    fill(p, 1, SPOT, 1, 115292150460684697, -1152921504606846970);
    const int64_t px = 2 * 115292150460684697;
    assert_int_equal(portfolio_mark(p, SPOT, px, px), ERR_OK);
    fill(p, 1, NEGATIVE, 1, 100, 0); /* makes room in cash */
    assert_int_equal(portfolio_mark(p, NEGATIVE, 100, 100), ERR_OK);
    const uint64_t hash = portfolio_hash(1, p);
    assert_int_equal(portfolio_funding(p, 1, SPOT, 7968), ERR_RANGE);
    const cash_move_t move = {
        .ref_lo = 1, .ccy = ccy_pack("USDT"), .amount = 7968, .account_id = 1, .money_exp = 8, .kind = CASH_INTEREST};
    const misc_fee_t fee = {.exec_id_lo    = 1,
                            .ccy           = ccy_pack("USDT"),
                            .amount        = -7968,
                            .account_id    = 1,
                            .instrument_id = NEGATIVE,
                            .money_exp     = 8,
                            .kind          = FEE_TAX};
    bool             fresh;
    f = fill_of(1, NEGATIVE, 1, 100, -7968);
    assert_int_equal(portfolio_cash_move(p, &move, &fresh), ERR_RANGE);
    assert_int_equal(portfolio_misc_fee(p, &fee, &fresh), ERR_RANGE);
    assert_int_equal(portfolio_fill(p, &f), ERR_RANGE);
    assert_int_equal(portfolio_mark(p, NEGATIVE, 101, 101), ERR_RANGE);
    assert_int_equal(portfolio_hash(1, p), hash);
    assert_int_equal(portfolio_funding(p, 1, SPOT, 7967), ERR_OK);
    assert_int_equal(account(p, 1, 0).equity, 4 * top - 1);
    check_identity(p);
    free(p);
}

int main(void)
{
    const char *seed = getenv("HWAL_SEED");
    rng_state        = seed != NULL ? strtoull(seed, NULL, 0) : 20240808;
    printf("HWAL_SEED=%llu\n", (unsigned long long)rng_state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_refuses_bad_memory_and_sizes),
        cmocka_unit_test(test_copy_of_bytes_goes_on_alike),
        cmocka_unit_test(test_refusals_change_nothing),
        cmocka_unit_test(test_currencies_open_by_themselves_up_to_their_limit),
        cmocka_unit_test(test_redefinition_keeps_booked_economics),
        cmocka_unit_test(test_average_cost_by_hand),
        cmocka_unit_test(test_inverse_by_hand),
        cmocka_unit_test(test_remainders_do_not_drift),
        cmocka_unit_test(test_bust_takes_a_fill_back),
        cmocka_unit_test(test_day_figures),
        cmocka_unit_test(test_random_histories_equal_the_model),
        cmocka_unit_test(test_bounds_of_quantity_and_equity),
        cmocka_unit_test(test_extremes_hold_or_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
