/* gate_world: one account, one strategy, one instrument at 9990/10010, wide limits, everything open: what tests of the gate
 * begin with, and then change in one point. Any failure of set-up fails the test. */
#pragma once

/* clang-format off: cmocka wants these first */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
/* clang-format on */

#include "core/types/ids.h"
#include "tests/lib/glue.h"

#define PX 9900 /* of a buy that passes */

typedef struct fix {
    glue_t             g;
    now_t              now;
    uint64_t           seq;
    risk_account_cfg_t rights;
    risk_limits_t      account, strategy, venue, market, row, strategy_row;
    risk_out_t         out;
} fix_t;

/* fix_open_cfg, fix_open_with, fix_open: the world, with another instrument, sizes, or mode of self-trade prevention.
 * limits_apply, rights_apply:
 * after limits or rights were changed. book: a fresh one. later: time passes, and the book is fresh again. request: a NEW.
 * check: the check alone, ask, ask_new: and what passes is entered into the order table. assert_scope: where, what and
 * which limit the last verdict names. control: one record, which must be accepted. */
void        limits_apply(fix_t *f);
void        rights_apply(fix_t *f);
void        book(fix_t *f);
void        later(fix_t *f, int64_t ns);
void        fix_open_cfg(fix_t *f, const instrument_def_t *def, const risk_cfg_t *cfg);
void        fix_open_with(fix_t *f, const instrument_def_t *def, uint32_t stp_mode);
void        fix_open(fix_t *f);
order_req_t request(fix_t *f, side_t side, int64_t qty, int64_t px);
uint16_t    check(fix_t *f, const order_req_t *req, risk_mode_t mode);
uint16_t    ask(fix_t *f, const order_req_t *req);
uint16_t    ask_new(fix_t *f, side_t side, int64_t qty, int64_t px);
void        assert_scope(const fix_t *f, scope_t type, uint32_t id, int64_t observed, int64_t limit);
void        control(fix_t *f, control_kind_t kind, scope_t scope, uint32_t id, int64_t value);

/* GIVES: a buy of 10 at PX, changed, is checked; nothing is entered into the order table. */
#define GIVES(fix, want, mode, q, change)                                                                              \
    do {                                                                                                               \
        order_req_t q = request(fix, SIDE_BUY, 10, PX);                                                                \
        change;                                                                                                        \
        assert_int_equal(check(fix, &(q), mode), want);                                                                \
    } while (0)
