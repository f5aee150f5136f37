#include "tests/lib/glue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "glue: %s: %s\n", what, err_msg());
        abort();
    }
}

static void *memory(size_t bytes)
{
    must(bytes > 0, "footprint");
    void *mem = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    must(mem != NULL, "memory");
    memset(mem, 0xa5, bytes); /* what new() does not write must not show in a hash */
    return mem;
}

static void join_all(glue_t *g)
{
    g->orders    = order_join(g->mem[0]);
    g->risk      = risk_join(g->mem[1]);
    g->portfolio = portfolio_join(g->mem[2]);
    must(g->orders && g->risk && g->portfolio, "join");
}

void glue_open(glue_t *g, risk_cfg_t risk_cfg, uint32_t orders_max, uint32_t fills_max)
{
    const order_cfg_t order = {.orders_max = orders_max, .fills_max = fills_max, .instruments_max = GLUE_INSTRUMENTS};
    const portfolio_cfg_t portfolio = {.accounts_max = GLUE_ACCOUNTS, .instruments_max = GLUE_INSTRUMENTS};
    risk_cfg.accounts_max           = GLUE_ACCOUNTS;
    risk_cfg.instruments_max        = GLUE_INSTRUMENTS;
    memset(g, 0, sizeof *g);
    g->bytes[0] = order_footprint(&order);
    g->bytes[1] = risk_footprint(&risk_cfg);
    g->bytes[2] = portfolio_footprint(&portfolio);
    for (int i = 0; i < 3; i++) {
        g->mem[i] = memory(g->bytes[i]);
    }
    must(order_new(g->mem[0], &order) != NULL, "order_new");
    must(risk_new(g->mem[1], &risk_cfg) != NULL, "risk_new");
    must(portfolio_new(g->mem[2], &portfolio) != NULL, "portfolio_new");
    join_all(g);
}

void glue_close(glue_t *g)
{
    for (int i = 0; i < 3; i++) {
        free(g->mem[i]);
    }
}

void glue_restart(glue_t *g)
{
    for (int i = 0; i < 3; i++) {
        void *copy = memory(g->bytes[i]);
        memcpy(copy, g->mem[i], g->bytes[i]);
        memset(g->mem[i], 0x5a, g->bytes[i]); /* a pointer into the old memory would show */
        free(g->mem[i]);
        g->mem[i] = copy;
    }
    join_all(g);
}

instrument_def_t glue_def(uint32_t instrument_id)
{
    return (instrument_def_t){.instrument_id = instrument_id,
                              .venue_id      = GLUE_VENUE,
                              .kind          = INSTRUMENT_LINEAR,
                              .settle_ccy    = ccy_pack("USDT"),
                              .lot           = 1,
                              .min_qty       = 1,
                              .mult          = 1};
}

void glue_instrument(glue_t *g, const instrument_def_t *def, int64_t tick)
{
    instrument_t *ins = &g->ins[def->instrument_id];
    must(instrument_init(ins, def, "TEST", &(tick_band_t){.px_from = 0, .tick = tick}, 1) == ERR_OK, "instrument");
    must(portfolio_define(g->portfolio, ins) == ERR_OK, "portfolio_define");
}

void glue_account(glue_t *g, uint32_t account_id)
{
    const risk_account_cfg_t cfg = {.tenant_id = 1,
                                    .ccy       = ccy_pack("USDT"),
                                    .may_trade = 1,
                                    .may_short = 1,
                                    .ord_types = 1U << ORD_TYPE_LIMIT | 1U << ORD_TYPE_MARKET,
                                    .venues    = 1U << GLUE_VENUE};
    must(risk_account_open(g->risk, account_id, &cfg) == ERR_OK, "risk_account_open");
    must(portfolio_account_open(g->portfolio, account_id, ccy_pack("USDT"), 0) == ERR_OK, "portfolio_account_open");
    must(portfolio_day_start(g->portfolio, account_id) == ERR_OK, "portfolio_day_start");
}

void glue_control(glue_t *g, control_kind_t kind, scope_t scope_type, uint32_t scope_id, int64_t value)
{
    const control_t control = {
        .kind = (uint8_t)kind, .scope_type = (uint8_t)scope_type, .scope_id = scope_id, .value = value};
    must(risk_control(g->risk, &control) == ERR_OK, "risk_control");
}

void glue_ready(glue_t *g)
{
    glue_control(g, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 1);
    glue_control(g, CONTROL_CLOCK, SCOPE_GLOBAL, 0, 1);
    glue_control(g, CONTROL_VENUE_LINK, SCOPE_VENUE, GLUE_VENUE, 1);
    glue_control(g, CONTROL_SESSION, SCOPE_VENUE, GLUE_VENUE, SESSION_OPEN);
}

static const instrument_t *ins_of(const glue_t *g, uint32_t id)
{
    return id <= GLUE_INSTRUMENTS && g->ins[id].def.instrument_id ? &g->ins[id] : NULL;
}

uint16_t glue_request(glue_t *g, const order_req_t *req, now_t now, risk_out_t *out)
{
    const uint32_t  row = req->action == ORDER_ACTION_NEW ? ORDER_NONE : order_find(g->orders, req->orig_cl_ord_id);
    const risk_in_t in  = {.req    = req,
                           .ins    = ins_of(g, req->instrument_id),
                           .md     = ins_of(g, req->instrument_id) ? &g->md[req->instrument_id] : NULL,
                           .target = row == ORDER_NONE ? NULL : order_at(g->orders, row),
                           .orders = g->orders,
                           .now    = now};
    risk_check(g->risk, &in, out);
    if (out->verdict.code != RISK_ACCEPTED) {
        return out->verdict.code;
    }
    if (req->action == ORDER_ACTION_NEW) {
        order_req_t sent = *req;
        sent.px          = out->px;
        order_open(g->orders, &sent, out->px_value);
    } else if (req->action == ORDER_ACTION_REPLACE) {
        order_replace_sent(g->orders, row, out->px, out->px_value, req->qty);
    } else {
        order_cancel_sent(g->orders, row, now);
    }
    return RISK_ACCEPTED;
}

static void judge_loss(glue_t *g, uint32_t account_id, now_t now)
{
    portfolio_account_t money;
    risk_loss_event_t   event;
    if (portfolio_account(g->portfolio, account_id, 0, &money)) {
        const risk_pnl_t pnl = {.day = money.pnl_day, .realised = money.realised_day, .equity = money.equity};
        risk_loss(g->risk, account_id, &pnl, now, &event);
    }
}

static void book_fill(glue_t *g, const order_effect_t *effect, bool bust)
{
    const portfolio_fill_t fill = {.account_id    = effect->account_id,
                                   .instrument_id = effect->instrument_id,
                                   .side          = (effect->qty > 0) != bust ? SIDE_BUY : SIDE_SELL,
                                   .qty           = effect->qty < 0 ? -effect->qty : effect->qty,
                                   .px            = effect->px,
                                   .fee           = bust ? -effect->fee : effect->fee};
    /* A figure that the portfolio refuses (over its range) is its own affair: risk has booked it. */
    (void)(bust ? portfolio_bust(g->portfolio, &fill) : portfolio_fill(g->portfolio, &fill));
}

void glue_report(glue_t *g, const exec_report_t *report, now_t now, order_effect_t *effect)
{
    const instrument_t *ins = ins_of(g, report->instrument_id);
    order_apply_exec(g->orders, report, ins, effect);
    if (effect->row == ORDER_NONE && !effect->booked && effect->alarms == 0) {
        return;
    }
    risk_exec(g->risk, ins_of(g, effect->instrument_id), effect);
    if (effect->booked) {
        book_fill(g, effect, report->exec_type == EXEC_TYPE_TRADE_CANCEL);
        judge_loss(g, effect->account_id, now);
    }
}

void glue_position(glue_t *g, uint32_t account_id, uint32_t instrument_id, int64_t qty, int64_t px)
{
    must(risk_fill(g->risk, &g->ins[instrument_id], account_id, 0, qty, px), "risk_fill");
    const order_effect_t effect = {.account_id = account_id, .instrument_id = instrument_id, .qty = qty, .px = px};
    book_fill(g, &effect, false);
}

void glue_book(glue_t *g, uint32_t instrument_id, const risk_md_t *md, now_t now)
{
    g->md[instrument_id] = *md;
    risk_mark(g->risk, &g->ins[instrument_id], md, now);
    if (md->has_bid && md->has_ask && md->bid_px > 0 && md->bid_px < md->ask_px) {
        must(portfolio_mark(g->portfolio, instrument_id, md->bid_px, md->ask_px) == ERR_OK, "portfolio_mark");
    }
    for (uint32_t id = 1; id <= GLUE_ACCOUNTS; id++) {
        judge_loss(g, id, now);
    }
}

uint64_t glue_hash(const glue_t *g)
{
    return portfolio_hash(risk_hash(order_hash(0, g->orders), g->risk), g->portfolio);
}
