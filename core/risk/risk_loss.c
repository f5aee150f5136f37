/* Loss (J): profit and loss of an account against its limits; latches. */
#include "core/risk/risk_private.h"

#define LOSS_KILL_BP 12000
#define LOSS_KILL_AFTER_NS (60 * NS_PER_S)

static risk_loss_level_t loss_level(const risk_t *r, int64_t loss, int64_t limit)
{
    const i128_t used = (i128_t)loss * BP;
    if (loss <= 0 || used < (i128_t)limit * r->cfg.soft_bp) {
        return RISK_LOSS_NONE;
    }
    if (used < (i128_t)limit * BP) {
        return RISK_LOSS_WARN;
    }
    return used < (i128_t)limit * LOSS_KILL_BP ? RISK_LOSS_STOP : RISK_LOSS_KILL;
}

static int64_t loss_of(i128_t gain)
{
    int64_t loss;
    return fit_i64(-gain, &loss) ? loss : INT64_MAX;
}

/* Highest equity of the trading day. */
static int64_t equity_peak(const risk_t *r, risk_account_t *acc, int64_t equity, now_t now)
{
    const int64_t day = (now.utc_ns + r->cfg.day_offset_ns) / RISK_DAY_NS + 1;
    acc->equity_peak  = acc->day == day ? max_i64(acc->equity_peak, equity) : equity;
    acc->day          = day;
    return acc->equity_peak;
}

void risk_loss(risk_t *r, uint32_t account_id, const risk_pnl_t *pnl, now_t now, risk_loss_event_t *event)
{
    *event = (risk_loss_event_t){.account_id = account_id};
    if (account_id == 0 || account_id > r->cfg.accounts_max || !risk_account(r, account_id)->has_limits) {
        return;
    }
    risk_account_t *acc = risk_account(r, account_id);
    const struct {
        uint16_t code;
        int64_t  loss, limit;
    } tests[] = {
        {RISK_DAY_LOSS, loss_of(pnl->day), acc->limits.max_day_loss},
        {RISK_REALISED_LOSS, loss_of(pnl->realised), acc->limits.max_realised_loss},
        {RISK_DRAWDOWN, loss_of((i128_t)pnl->equity - equity_peak(r, acc, pnl->equity, now)), acc->limits.max_drawdown},
    };
    risk_loss_level_t worst   = RISK_LOSS_NONE;
    bool              later   = false; /* 60 s after the stop, and more lost than then */
    size_t            which   = 0;
    size_t            latched = 0;
    for (size_t i = 0; i < 3; i++) {
        const risk_loss_level_t level = loss_level(r, tests[i].loss, tests[i].limit);
        if (level > worst) {
            worst = level;
            which = i;
        }
        if (acc->latched == tests[i].code && now.mono_ns - acc->stop_ns >= LOSS_KILL_AFTER_NS &&
            tests[i].loss > acc->stop_loss) {
            later   = true;
            latched = i;
        }
    }
    bool told = false;
    if (worst >= RISK_LOSS_STOP && acc->latched == 0) {
        acc->latched   = tests[which].code;
        acc->stop_ns   = now.mono_ns;
        acc->stop_loss = tests[which].loss;
        event->level   = RISK_LOSS_STOP;
        told           = true;
    }
    if ((worst == RISK_LOSS_KILL || later) && !acc->killed) {
        which        = worst == RISK_LOSS_KILL ? which : latched;
        acc->killed  = 1;
        event->level = RISK_LOSS_KILL;
        told         = true;
    } else if (worst == RISK_LOSS_WARN && acc->latched == 0 &&
               (acc->warn_ns == 0 || now.mono_ns - acc->warn_ns >= RISK_SOFT_GATE_NS)) {
        acc->warn_ns = max_i64(now.mono_ns, 1);
        event->level = RISK_LOSS_WARN;
        told         = true;
    }
    if (told) {
        event->code     = tests[which].code;
        event->observed = tests[which].loss;
        event->limit    = tests[which].limit;
    }
}
