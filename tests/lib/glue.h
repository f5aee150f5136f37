/* glue: risk, order table and portfolio strung together for tests, in the order in which the engine does it.
 *
 *   request:  risk_check ─▶ order_open / order_replace_sent / order_cancel_sent
 *   report:   order_apply_exec ─▶ risk_exec ─▶ portfolio_fill / portfolio_bust ─▶ risk_loss
 *   book:     risk_mark, portfolio_mark ─▶ risk_loss of every account
 *
 * Memory is allocated by glue_open; glue_restart moves all three to fresh memory by memcpy, which is what a snapshot
 * is. Any failure of set-up ends the program: it is a test. */
#pragma once

#include "core/order/order.h"
#include "core/portfolio/portfolio.h"
#include "core/risk/risk.h"

#define GLUE_INSTRUMENTS 4
#define GLUE_ACCOUNTS 3
#define GLUE_VENUE 1

typedef struct glue {
    void          *mem[3];
    size_t         bytes[3];
    order_table_t *orders;
    risk_t        *risk;
    portfolio_t   *portfolio;
    instrument_t   ins[GLUE_INSTRUMENTS + 1]; /* by id; instrument_id 0 = not defined */
    risk_md_t      md[GLUE_INSTRUMENTS + 1];
} glue_t;

/* glue_open: everything closed, no account, no instrument. cfg.instruments_max and accounts_max are set here. */
void glue_open(glue_t *g, risk_cfg_t risk_cfg, uint32_t orders_max, uint32_t fills_max);
void glue_close(glue_t *g);
void glue_restart(glue_t *g);

/* glue_instrument: a definition with 1 for every scale; tests change def before the call. */
instrument_def_t glue_def(uint32_t instrument_id);
void             glue_instrument(glue_t *g, const instrument_def_t *def, int64_t tick);

/* glue_account: account with all rights in tenant 1. glue_control: one control record, which must be accepted. */
void glue_account(glue_t *g, uint32_t account_id);
void glue_control(glue_t *g, control_kind_t kind, scope_t scope_type, uint32_t scope_id, int64_t value);

/* glue_ready: journal, clock, venue link, session open. */
void glue_ready(glue_t *g);

uint16_t glue_request(glue_t *g, const order_req_t *req, now_t now, risk_out_t *out);
void     glue_report(glue_t *g, const exec_report_t *report, now_t now, order_effect_t *effect);
void     glue_position(glue_t *g, uint32_t account_id, uint32_t instrument_id, int64_t qty, int64_t px);
void     glue_book(glue_t *g, uint32_t instrument_id, const risk_md_t *md, now_t now);
uint64_t glue_hash(const glue_t *g);
