/* From configuration to records.
 *
 * Checked  the records are taken by an engine, in their order, the clock last, and again without harm; an order within
 *          the limits that follow from the money passes and one beyond does not, nor one above the rate of its client;
 *          amounts and scales that cannot be are refused by name; live accounts are those of the configuration, in its
 *          order; a sink that fails stops the set-up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/engine/engine_view.h"
#include "core/types/ids.h"
#include "tools/setup.h"

#define TEXT(text) ((char[]){text}) /* configuration has texts that are not const */

typedef struct kept {
    engine_t    *engine;
    engine_out_t out;
    msg_type_t   types[64];
    uint8_t      last_kind; /* of the last CONTROL */
    uint32_t     count;
    uint32_t     fail_at; /* 0 = never */
} kept_t;

static err_t keep(void *ctx, const msg_t *msg)
{
    kept_t *k = ctx;
    assert_true(k->count < 64);
    k->types[k->count++] = msg->type;
    k->last_kind         = msg->type == MSG_CONTROL ? ((const control_t *)msg->body)->kind : k->last_kind;
    if (k->count == k->fail_at) {
        return ERR_FULL;
    }
    return k->engine ? engine_apply(k->engine, (now_t){.mono_ns = 1, .utc_ns = 1}, msg, &k->out) : ERR_OK;
}

static instrument_t instrument(const char *ccy, int8_t money_exp, uint8_t kind)
{
    const instrument_def_t def  = {.instrument_id = 1,
                                   .venue_id      = 2,
                                   .kind          = kind,
                                   .px_exp        = 2,
                                   .qty_exp       = 3,
                                   .money_exp     = money_exp,
                                   .mult          = 1,
                                   .lot           = 1,
                                   .min_qty       = 1,
                                   .settle_ccy    = ccy_pack(ccy)};
    const tick_band_t      band = {.tick = 1};
    instrument_t           ins;
    assert_int_equal(instrument_init(&ins, &def, "X", &band, 1), ERR_OK);
    return ins;
}

static config_t *config_of(config_account_t *accounts, unsigned count, config_risk_t *risk, unsigned risk_count)
{
    config_t *c;
    assert_int_equal(config_load(NULL, &c), ERR_OK);
    static char none[] = "";
    for (unsigned i = 0; i < count; i++) { /* as config_load leaves what is not written */
        accounts[i].name = accounts[i].name ? accounts[i].name : none;
    }
    for (unsigned i = 0; i < risk_count; i++) {
        risk[i].account = risk[i].account ? risk[i].account : none;
    }
    c->accounts       = accounts;
    c->accounts_count = count;
    c->risk           = risk;
    c->risk_count     = risk_count;
    return c;
}

static void config_done(config_t *c)
{
    c->lanes.clients  = NULL; /* they were ours */
    c->accounts       = NULL;
    c->risk           = NULL;
    c->accounts_count = c->risk_count = c->lanes.clients_count = 0;
    config_free(c);
}

static void test_setup_records_make_an_engine_ready(void **state)
{
    (void)state;
    config_t          *c   = config_of(NULL, 0, NULL, 0);
    const instrument_t ins = instrument("USDT", 8, INSTRUMENT_SPOT);
    setup_t            s;
    engine_cfg_t       cfg;
    kept_t             k = {0};
    assert_int_equal(setup_begin(&s, c), ERR_OK);
    assert_int_equal(setup_currency(&s, &ins), ERR_OK);
    assert_int_equal(setup_currency(&s, &ins), ERR_OK);
    assert_int_equal(s.account_count, 1);
    assert_int_equal(s.accounts[1].initial, 100000 * INT64_C(100000000));
    assert_int_equal(s.accounts[1].order_value, s.accounts[1].initial / 4);
    config_client_t desk = {
        .name = TEXT("desk"), .accounts = 1 << 1, .rights = LANE_RIGHT_ORDER, .orders_per_s = 2, .messages_per_s = 3};
    lane_t lane            = {.lease = 1, .state = LANE_OPEN};
    c->lanes.clients       = &desk;
    c->lanes.clients_count = s.lane_count = 1; /* as setup_live says */
    assert_int_equal(setup_engine_cfg(&s, 4, NULL, 0, &cfg), ERR_OK);
    assert_int_equal(cfg.lanes_max, 1);
    assert_false(setup_lane(&s, 0, &lane));
    assert_false(setup_lane(&s, 2, &lane));
    assert_true(setup_lane(&s, 1, &lane));
    assert_int_equal(lane.strategy_id, 3);
    assert_int_equal(cfg.epoch, 0);
    assert_int_equal(cfg.strategy_count, 2); /* both samples, in the one account */
    assert_int_equal(cfg.strategies[0].cfg.account_id, 1);
    void *mem    = aligned_alloc(engine_align(), (engine_footprint(&cfg) + 4095) & ~(size_t)4095);
    void *handle = malloc(engine_handle_size());
    assert_non_null(engine_new(mem, &cfg));
    k.engine           = engine_join(handle, mem);
    k.out              = (engine_out_t){.buf = malloc(ENGINE_OUT_MAX), .cap = ENGINE_OUT_MAX};
    const boot_t boot  = {.epoch = 1};
    const msg_t  msg[] = {
         {.type = MSG_BOOT, .body = &boot},
         {.type = MSG_INSTRUMENT_DEF, .body = &ins.def, .tail = ins.bands, .tail_count = 1, .text = "X"}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(keep(&k, &msg[i]), ERR_OK);
    }
    for (int again = 0; again < 2; again++) {
        k.count = 0;
        assert_int_equal(setup_open(&s, keep, &k), ERR_OK);
        assert_int_equal(k.count, 7);
        assert_int_equal(k.types[0], MSG_ACCOUNT_DEF);
        assert_int_equal(k.types[1], MSG_LIMIT_SET);
        assert_int_equal(k.types[4], MSG_LIMIT_SET);
        assert_int_equal(k.types[6], MSG_CONTROL);
        assert_int_equal(k.last_kind, CONTROL_CLOCK);
    }
    const risk_t *risk = engine_risk(k.engine);
    assert_true(risk_limits_known(risk, SCOPE_ACCOUNT, 1, 0));
    assert_true(risk_limits_known(risk, SCOPE_STRATEGY, 2, 0));
    assert_false(risk_limits_known(risk, SCOPE_VENUE, 2, 0));
    assert_int_equal(setup_instrument(&s, &ins, keep, &k), ERR_OK);
    assert_true(risk_limits_known(risk, SCOPE_VENUE, 2, 0));
    assert_false(risk_limits_known(risk, SCOPE_INSTRUMENT, 1, 0));
    assert_int_equal(setup_price(&s, &ins, 5000000, keep, &k), ERR_OK); /* 50,000.00 */
    assert_true(risk_limits_known(risk, SCOPE_INSTRUMENT, 1, 0));
    assert_true(risk_limits_known(risk, SCOPE_ACCOUNT_INSTRUMENT, 1, 1));
    assert_true(risk_limits_known(risk, SCOPE_STRATEGY_INSTRUMENT, 2, 1));
    assert_true(risk_limits_known(risk, SCOPE_STRATEGY, 3, 0));
    assert_true(risk_limits_known(risk, SCOPE_STRATEGY_INSTRUMENT, 3, 1));
    account_record_t account;
    assert_true(engine_account_record(k.engine, 1, &account));
    assert_int_equal(account.state_code, 0);
    assert_int_equal(account.initial, s.accounts[1].initial);
    /* a quarter of 100,000 at 50,000 is 0.5: one lot more is refused for its quantity, which is tested after the
     * market's freshness, so a book is there */
    const level_t       levels[] = {{4999900, 1000}, {5000100, 1000}};
    const book_update_t upd      = {
             .instrument_id = 1, .flags = 7, .rpt_seq = 1, .venue_seq = 1, .bid_count = 1, .ask_count = 1};
    const control_t open[] = {
        {.kind = CONTROL_VENUE_LINK, .scope_type = SCOPE_VENUE, .scope_id = 2, .value = 1},
        {.kind = CONTROL_SESSION, .scope_type = SCOPE_VENUE, .scope_id = 2, .value = SESSION_OPEN}};
    const mass_status_t end = {.request_id = 1, .account_id = 1, .venue_id = 2, .kind = MASS_STATUS_END};
    assert_int_equal(keep(&k, &(msg_t){.type = MSG_CONTROL, .body = &open[0]}), ERR_OK);
    assert_int_equal(keep(&k, &(msg_t){.type = MSG_CONTROL, .body = &open[1]}), ERR_OK);
    assert_int_equal(keep(&k, &(msg_t){.type = MSG_MASS_STATUS, .body = &end}), ERR_OK);
    assert_int_equal(keep(&k, &(msg_t){.type = MSG_BOOK_UPDATE, .body = &upd, .tail = levels, .tail_count = 2}),
                     ERR_OK);
    assert_int_equal(keep(&k, &(msg_t){.type = MSG_LANE, .body = &lane}), ERR_OK);
    const int64_t  qty[]  = {501, 500, 400, 300}; /* the last is above the client's rate: 271 */
    const uint16_t code[] = {RISK_MAX_ORDER_QTY, RISK_ACCEPTED, RISK_ACCEPTED, RISK_RATE_ORDERS};
    for (uint64_t i = 0; i < 4; i++) {
        const order_req_t req = {.cl_ord_id     = cl_ord_id_make(1, 3, i + 1),
                                 .tenant_id     = 1,
                                 .account_id    = 1,
                                 .strategy_id   = 3,
                                 .instrument_id = 1,
                                 .action        = ORDER_ACTION_NEW,
                                 .side          = SIDE_BUY,
                                 .ord_type      = ORD_TYPE_LIMIT,
                                 .tif           = TIF_IOC,
                                 .px            = 4990000,
                                 .qty           = qty[i]};
        uint32_t          pos = 0;
        assert_int_equal(keep(&k, &(msg_t){.type = MSG_ORDER_REQUEST, .body = &req}), ERR_OK);
        const out_rec_t *rec = engine_out_next(&k.out, &pos);
        while (rec && rec->type != MSG_VERDICT) {
            rec = engine_out_next(&k.out, &pos);
        }
        assert_non_null(rec);
        assert_int_equal(((const verdict_t *)(rec + 1))->code, code[i]);
    }
    free(mem);
    free(handle);
    free(k.out.buf);
    config_done(c);
}

static void test_setup_takes_amounts_of_the_configuration(void **state)
{
    (void)state;
    config_account_t accounts[] = {{.currency = TEXT("KRW"), .initial = TEXT("1000000"), .money_exp = 8},
                                   {.currency = TEXT("USDT"), .initial = TEXT("250.5"), .money_exp = 8}};
    config_risk_t    risk[]     = {{.currency                = TEXT("USDT"),
                                    .max_order_value         = TEXT("10"),
                                    .max_position_value      = TEXT("20"),
                                    .max_open_value          = TEXT("30"),
                                    .max_gross               = TEXT("40"),
                                    .max_net                 = TEXT("50"),
                                    .max_day_loss            = TEXT("60"),
                                    .max_drawdown            = TEXT("70"),
                                    .max_open_orders_account = 9}};
    config_t        *c          = config_of(accounts, 2, risk, 1);
    setup_t          s;
    assert_int_equal(setup_begin(&s, c), ERR_OK);
    assert_int_equal(setup_live(&s), ERR_OK);
    assert_int_equal(s.account_count, 2);
    assert_int_equal(s.accounts[1].ccy, ccy_pack("KRW"));
    assert_int_equal(s.accounts[1].initial, INT64_C(100000000000000));
    assert_int_equal(s.accounts[2].initial, INT64_C(25050000000));
    assert_int_equal(s.accounts[2].order_value, INT64_C(1000000000));
    assert_int_equal(s.accounts[2].drawdown, INT64_C(7000000000));
    assert_ptr_equal(s.accounts[2].risk, &risk[0]);
    assert_null(s.accounts[1].risk);
    const instrument_t other = instrument("USDT", 2, INSTRUMENT_SPOT); /* cents, where the account has 8 decimals */
    kept_t             k     = {0};
    assert_int_equal(setup_instrument(&s, &other, keep, &k), ERR_CONFIG);
    assert_non_null(strstr(err_msg(), "money_exp"));
    assert_int_equal(k.count, 0);
    const instrument_t nobody = instrument("EUR", 8, INSTRUMENT_SPOT);
    assert_int_equal(setup_instrument(&s, &nobody, keep, &k), ERR_OK);
    assert_int_equal(setup_price(&s, &nobody, 100, keep, &k), ERR_OK);
    assert_int_equal(k.count,
                     5); /* the venue's limits, nothing allowed on the instrument, its margin (BEGIN, SET, COMMIT) */
    accounts[1].initial = TEXT("0.123456789");
    assert_int_equal(setup_begin(&s, c), ERR_OK);
    assert_int_equal(setup_live(&s), ERR_CONFIG);
    assert_non_null(strstr(err_msg(), "account USDT"));
    c->accounts_count = 0;
    assert_int_equal(setup_begin(&s, c), ERR_OK);
    assert_int_equal(setup_live(&s), ERR_CONFIG);
    config_done(c);
}

static void test_setup_stops_where_the_sink_does(void **state)
{
    (void)state;
    config_t          *c   = config_of(NULL, 0, NULL, 0);
    const instrument_t ins = instrument("BTC", 8, INSTRUMENT_INVERSE);
    setup_t            s;
    assert_int_equal(setup_begin(&s, c), ERR_OK);
    assert_int_equal(setup_currency(&s, &ins), ERR_OK);
    assert_int_equal(s.accounts[1].initial, INT64_C(1000000000)); /* ten coins */
    for (uint32_t at = 1; at <= 4; at++) {
        kept_t k = {.fail_at = at};
        assert_int_equal(setup_open(&s, keep, &k), ERR_FULL);
        assert_int_equal(k.count, at);
    }
    config_done(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setup_records_make_an_engine_ready),
        cmocka_unit_test(test_setup_takes_amounts_of_the_configuration),
        cmocka_unit_test(test_setup_stops_where_the_sink_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
