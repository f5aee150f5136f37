#include "core/risk/risk.h"

#include <assert.h>
#include <string.h>

#include "core/risk/risk_private.h"
#include "core/types/hash.h"

/* ---- arena ------------------------------------------------------------------------------------------------------- */

void risk_cfg_default(risk_cfg_t *cfg)
{
    *cfg = (risk_cfg_t){.tenants_max        = 1,
                        .accounts_max       = 8,
                        .strategies_max     = 64,
                        .instruments_max    = 64,
                        .venues_max         = 8,
                        .window_max         = 1024,
                        .value_window_max   = 8192,
                        .stp                = RISK_STP_TENANT,
                        .stp_mode           = RISK_STP_MODE_CANCEL_NEWEST,
                        .verdicts_max       = 4096,
                        .max_request_age_ns = 2 * NS_PER_S,
                        .max_ahead_ns       = NS_PER_S,
                        .fills_window_max   = 4096,
                        .fx_max             = 32,
                        .soft_bp            = 8000,
                        .fx_max_age_ns      = RISK_DAY_NS};
}

static err_t cfg_check(const risk_cfg_t *cfg)
{
    const struct {
        const char *name;
        uint64_t    value, min, max;
    } fields[] = {
        {"tenants_max", cfg->tenants_max, 1, RISK_IDS_MAX},
        {"accounts_max", cfg->accounts_max, 1, RISK_IDS_MAX},
        {"strategies_max", cfg->strategies_max, 1, RISK_IDS_MAX},
        {"instruments_max", cfg->instruments_max, 1, ORDER_INSTRUMENTS_MAX},
        {"venues_max", cfg->venues_max, 1, RISK_VENUES_MAX},
        {"window_max", cfg->window_max, 1, RISK_WINDOW_MAX},
        {"value_window_max", cfg->value_window_max, 1, RISK_WINDOW_MAX},
        {"stp", cfg->stp, RISK_STP_TENANT, RISK_STP_ACCOUNT},
        {"stp_mode", cfg->stp_mode, RISK_STP_MODE_CANCEL_NEWEST, RISK_STP_MODE_COUNT - 1},
        {"verdicts_max", cfg->verdicts_max, 1, RISK_VERDICTS_MAX},
        {"max_request_age_ns", (uint64_t)cfg->max_request_age_ns, 1, RISK_DAY_NS},
        {"max_ahead_ns", (uint64_t)cfg->max_ahead_ns, 0, RISK_DAY_NS},
        {"fills_window_max", cfg->fills_window_max, 1, RISK_WINDOW_MAX},
        {"fx_max", cfg->fx_max, 1, RISK_FX_MAX},
        {"soft_bp", (uint64_t)cfg->soft_bp, 1, BP},
        {"fx_max_age_ns", (uint64_t)cfg->fx_max_age_ns, 1, INT64_MAX},
    };
    if (cfg->day_offset_ns < -RISK_DAY_NS || cfg->day_offset_ns > RISK_DAY_NS) {
        return err_set(ERR_ARG, "risk: day_offset_ns %lld is more than a day", (long long)cfg->day_offset_ns);
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (fields[i].value < fields[i].min || fields[i].value > fields[i].max) {
            return err_set(ERR_ARG, "risk: %s %lld is not in %llu..%llu", fields[i].name, (long long)fields[i].value,
                           (unsigned long long)fields[i].min, (unsigned long long)fields[i].max);
        }
    }
    return ERR_OK;
}

static uint32_t mask_of(uint32_t n)
{
    uint32_t cap = 1;
    while (cap < n) {
        cap *= 2;
    }
    return cap - 1;
}

static uint64_t round_64(uint64_t bytes)
{
    return (bytes + 63) & ~63ULL;
}

/* The next part of the arena. */
static uint64_t part(uint64_t *at, uint64_t count, size_t bytes)
{
    const uint64_t off = *at;
    *at                = round_64(off + count * bytes);
    return off;
}

/* Sizes and offsets; the rest of *r is zero. */
static void layout(const risk_cfg_t *cfg, risk_t *r)
{
    const uint64_t instruments = cfg->instruments_max + 1ULL;
    const uint64_t accounts    = cfg->accounts_max + 1ULL;
    const uint64_t strategies  = cfg->strategies_max + 1ULL;
    const uint64_t venues      = cfg->venues_max + 1ULL;
    const uint64_t tenants     = cfg->tenants_max + 1ULL;
    uint64_t       at          = round_64(sizeof *r);
    *r                         = (risk_t){.cfg = *cfg};
    r->window_mask             = mask_of(cfg->window_max);
    r->value_mask              = mask_of(cfg->value_window_max);
    r->verdict_mask            = mask_of(cfg->verdicts_max);
    r->fill_mask               = mask_of(cfg->fills_window_max);
    const uint64_t window      = r->window_mask + 1ULL;
    r->tenants_off             = part(&at, tenants, sizeof(risk_tenant_t));
    r->accounts_off            = part(&at, accounts, sizeof(risk_account_t));
    r->strategies_off          = part(&at, strategies, sizeof(risk_strategy_t));
    r->instruments_off         = part(&at, instruments, sizeof(risk_instrument_t));
    r->venues_off              = part(&at, venues, sizeof(risk_venue_t));
    r->rows_off                = part(&at, instruments * accounts, sizeof(risk_row_t));
    r->strategy_rows_off       = part(&at, instruments * strategies, sizeof(risk_row_t));
    r->tenant_rows_off         = part(&at, instruments * tenants, sizeof(risk_row_t));
    r->flows_off               = part(&at, instruments * strategies, sizeof(risk_flow_t));
    r->holders_off             = part(&at, instruments * (cfg->accounts_max / 64 + 1), sizeof(uint64_t));
    r->times_off               = part(&at, (accounts + strategies + venues) * RATE_RINGS * window, sizeof(int64_t));
    r->passed_off              = part(&at, accounts * window, sizeof(risk_passed_t));
    r->values_off              = part(&at, accounts * (r->value_mask + 1ULL), sizeof(risk_value_t));
    r->verdicts_off            = part(&at, r->verdict_mask + 1ULL, sizeof(risk_verdict_t));
    r->fills_off               = part(&at, strategies * (r->fill_mask + 1ULL), sizeof(risk_fill_time_t));
    r->rejects_off             = part(&at, strategies * window, sizeof(int64_t));
    r->fx_off                  = part(&at, cfg->fx_max, sizeof(risk_fx_t));
    r->size_bytes              = at;
}

size_t risk_align(void)
{
    return 64;
}

size_t risk_footprint(const risk_cfg_t *cfg)
{
    risk_t r;
    if (cfg_check(cfg) != ERR_OK) {
        return 0;
    }
    layout(cfg, &r);
    return r.size_bytes;
}

void *risk_new(void *mem, const risk_cfg_t *cfg)
{
    const size_t bytes = risk_footprint(cfg);
    risk_t      *r     = mem;
    if (bytes == 0) {
        return NULL;
    }
    assert((uintptr_t)mem % risk_align() == 0);
    memset(mem, 0, bytes);
    layout(cfg, r);
    r->max_credit = RISK_OFF;
    for (uint32_t id = 0; id <= cfg->tenants_max; id++) {
        risk_tenant(r, id)->max_credit = RISK_OFF;
    }
    for (uint32_t id = 0; id <= cfg->instruments_max; id++) {
        risk_instrument(r, id)->mark_px = NO_MARK;
    }
    r->magic = RISK_MAGIC;
    return mem;
}

risk_t *risk_join(void *mem)
{
    risk_t *r = mem;
    if ((uintptr_t)mem % risk_align() != 0) {
        err_set(ERR_ARG, "risk: memory is not aligned to %zu bytes", risk_align());
        return NULL;
    }
    if (r->magic != RISK_MAGIC || risk_footprint(&r->cfg) != r->size_bytes) {
        err_set(ERR_ARG, "risk: no gate of this version lies here (magic %016llx)", (unsigned long long)r->magic);
        return NULL;
    }
    return r;
}

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

static err_t id_check(const char *what, uint32_t id, uint32_t max)
{
    return id >= 1 && id <= max ? ERR_OK : err_set(ERR_ARG, "risk: %s %u is not in 1..%u", what, id, max);
}

err_t risk_account_open(risk_t *r, uint32_t account_id, const risk_account_cfg_t *cfg)
{
    err_t err = id_check("account", account_id, r->cfg.accounts_max);
    if (err == ERR_OK) {
        err = id_check("tenant", cfg->tenant_id, r->cfg.tenants_max);
    }
    if (err != ERR_OK) {
        return err;
    }
    risk_account_t *acc = risk_account(r, account_id);
    if (acc->exists &&
        (acc->cfg.tenant_id != cfg->tenant_id || acc->cfg.ccy != cfg->ccy || acc->cfg.money_exp != cfg->money_exp)) {
        return err_set(ERR_EXISTS,
                       "risk: account %u exists with tenant %u and another tenant, currency or scale was given",
                       account_id, acc->cfg.tenant_id);
    }
    if (cfg->funds > RISK_FUNDS_MARGIN) {
        return err_set(ERR_ARG, "risk: account %u has funds %u, not one of 0..%u", account_id, cfg->funds,
                       (unsigned)RISK_FUNDS_MARGIN);
    }
    acc->cfg    = *cfg;
    acc->exists = 1;
    if (r->firm_ccy == 0) {
        r->firm_ccy = cfg->ccy;
        r->firm_exp = cfg->money_exp;
    }
    return ERR_OK;
}

err_t risk_strategy_open(risk_t *r, uint32_t strategy_id, uint32_t tenant_id, uint32_t approved_version)
{
    err_t err = id_check("strategy", strategy_id, r->cfg.strategies_max);
    if (err == ERR_OK) {
        err = id_check("tenant", tenant_id, r->cfg.tenants_max);
    }
    if (err != ERR_OK) {
        return err;
    }
    risk_strategy_t *strategy  = risk_strategy(r, strategy_id);
    strategy->tenant_id        = tenant_id;
    strategy->approved_version = approved_version;
    return ERR_OK;
}

err_t risk_permit(risk_t *r, uint32_t account_id, uint32_t instrument_id, bool allowed)
{
    err_t err = id_check("account", account_id, r->cfg.accounts_max);
    if (err == ERR_OK) {
        err = id_check("instrument", instrument_id, r->cfg.instruments_max);
    }
    if (err != ERR_OK) {
        return err;
    }
    risk_row_t *row = risk_row(r, account_id, instrument_id);
    row->flags      = allowed ? row->flags & ~(uint32_t)ROW_DENIED : row->flags | ROW_DENIED;
    return ERR_OK;
}

err_t risk_restrict(risk_t *r, uint32_t instrument_id, bool restricted)
{
    const err_t err = id_check("instrument", instrument_id, r->cfg.instruments_max);
    if (err == ERR_OK) {
        risk_instrument(r, instrument_id)->restricted = restricted;
    }
    return err;
}

/* ---- control ----------------------------------------------------------------------------------------------------- */

static err_t control_refused(const control_t *control)
{
    return err_set(ERR_ARG, "risk: control kind %u does not go with scope type %u", control->kind, control->scope_type);
}

static err_t control_account(risk_t *r, const control_t *control)
{
    if (control->scope_type != SCOPE_ACCOUNT) {
        return control_refused(control);
    }
    const err_t err = id_check("account", control->scope_id, r->cfg.accounts_max);
    if (err != ERR_OK) {
        return err;
    }
    risk_account_t *acc = risk_account(r, control->scope_id);
    const uint8_t   on  = control->value != 0;
    switch (control->kind) {
    case CONTROL_REDUCE_ONLY: acc->reduce_only = on; break;
    case CONTROL_RECOVERING: acc->recovering = on; break;
    case CONTROL_UNRECONCILED: acc->unreconciled = on; break;
    default: acc->latched = 0; break; /* CLEAR_LATCH */
    }
    return ERR_OK;
}

/* Pairs: value names the second of the two, its sign whether the flag is set. */
static err_t control_kill_pair(risk_t *r, const control_t *control)
{
    const uint32_t id       = control->scope_id;
    const bool     on       = control->value > 0;
    const int64_t  second   = on ? control->value : -control->value;
    const bool     venue    = control->scope_type == SCOPE_ACCOUNT_VENUE;
    const bool     strategy = control->scope_type == SCOPE_STRATEGY_INSTRUMENT;
    const uint32_t max      = venue ? r->cfg.venues_max : r->cfg.instruments_max;
    const err_t    err =
        strategy ? id_check("strategy", id, r->cfg.strategies_max) : id_check("account", id, r->cfg.accounts_max);
    if (err != ERR_OK) {
        return err;
    }
    if (second < 1 || second > max) {
        return err_set(ERR_ARG, "risk: a kill of a pair names %s %lld, not in 1..%u", venue ? "venue" : "instrument",
                       (long long)second, max);
    }
    if (venue) {
        uint64_t *killed = &risk_account(r, id)->venues_killed;
        *killed          = on ? *killed | 1ULL << second : *killed & ~(1ULL << second);
        return ERR_OK;
    }
    risk_row_t *row = strategy ? risk_strategy_row(r, id, (uint32_t)second) : risk_row(r, id, (uint32_t)second);
    row->flags      = on ? row->flags | ROW_KILLED : row->flags & ~(uint32_t)ROW_KILLED;
    return ERR_OK;
}

static err_t control_kill(risk_t *r, const control_t *control)
{
    const uint32_t id  = control->scope_id;
    const uint8_t  on  = control->value != 0;
    err_t          err = ERR_OK;
    switch (control->scope_type) {
    case SCOPE_GLOBAL: r->killed = on; break;
    case SCOPE_TENANT:
        if ((err = id_check("tenant", id, r->cfg.tenants_max)) == ERR_OK) {
            risk_tenant(r, id)->killed = on;
        }
        break;
    case SCOPE_ACCOUNT:
        if ((err = id_check("account", id, r->cfg.accounts_max)) == ERR_OK) {
            risk_account(r, id)->killed = on;
        }
        break;
    case SCOPE_STRATEGY:
        if ((err = id_check("strategy", id, r->cfg.strategies_max)) == ERR_OK) {
            uint32_t *killed = &risk_strategy(r, id)->killed;
            *killed          = on ? *killed | KILLED_NAMED : *killed & ~(uint32_t)KILLED_NAMED;
        }
        break;
    case SCOPE_VENUE:
        if ((err = id_check("venue", id, r->cfg.venues_max)) == ERR_OK) {
            risk_venue(r, id)->killed = on;
        }
        break;
    case SCOPE_INSTRUMENT:
        if ((err = id_check("instrument", id, r->cfg.instruments_max)) == ERR_OK) {
            risk_instrument(r, id)->killed = on;
        }
        break;
    default: err = control_refused(control); break;
    }
    return err;
}

/* A named person lets a strategy trade again after 276 or 279: what was counted does not count any more. */
static err_t control_enable(risk_t *r, const control_t *control)
{
    if (control->scope_type != SCOPE_STRATEGY) {
        return control_refused(control);
    }
    const err_t err = id_check("strategy", control->scope_id, r->cfg.strategies_max);
    if (err == ERR_OK) {
        risk_strategy_t *strategy = risk_strategy(r, control->scope_id);
        strategy->killed &= ~(uint32_t)KILLED_AUTO;
        strategy->rejected_from = strategy->rejected;
        risk_fills_forget(r, control->scope_id);
    }
    return err;
}

static err_t control_session(risk_t *r, const control_t *control)
{
    err_t err;
    if (control->value < SESSION_NONE || control->value > SESSION_CANCEL_ONLY) {
        return err_set(ERR_ARG, "risk: session state %lld is not in %d..%d", (long long)control->value, SESSION_NONE,
                       SESSION_CANCEL_ONLY);
    }
    switch (control->scope_type) {
    case SCOPE_VENUE:
        if ((err = id_check("venue", control->scope_id, r->cfg.venues_max)) == ERR_OK) {
            risk_venue(r, control->scope_id)->session = (uint32_t)control->value;
        }
        return err;
    case SCOPE_INSTRUMENT:
        if ((err = id_check("instrument", control->scope_id, r->cfg.instruments_max)) == ERR_OK) {
            risk_instrument(r, control->scope_id)->session = (uint8_t)control->value;
        }
        return err;
    default: return control_refused(control);
    }
}

static err_t control_venue(risk_t *r, const control_t *control)
{
    if (control->scope_type != SCOPE_VENUE) {
        return control_refused(control);
    }
    const err_t err = id_check("venue", control->scope_id, r->cfg.venues_max);
    if (err == ERR_OK) {
        risk_venue_t *venue                                                          = risk_venue(r, control->scope_id);
        *(control->kind == CONTROL_VENUE_LINK ? &venue->link_up : &venue->ring_full) = control->value != 0;
    }
    return err;
}

err_t risk_control(risk_t *r, const control_t *control)
{
    const bool pair = control->kind == CONTROL_KILL &&
                      (control->scope_type == SCOPE_ACCOUNT_INSTRUMENT ||
                       control->scope_type == SCOPE_STRATEGY_INSTRUMENT || control->scope_type == SCOPE_ACCOUNT_VENUE);
    if (pair) {
        return control_kill_pair(r, control);
    }
    if (control->kind != CONTROL_SESSION && control->value != 0 && control->value != 1) {
        return err_set(ERR_ARG, "risk: control kind %u has value %lld, not 0 or 1", control->kind,
                       (long long)control->value);
    }
    switch (control->kind) {
    case CONTROL_KILL: return control_kill(r, control);
    case CONTROL_SESSION: return control_session(r, control);
    case CONTROL_REDUCE_ONLY:
    case CONTROL_RECOVERING:
    case CONTROL_UNRECONCILED:
    case CONTROL_CLEAR_LATCH: return control_account(r, control);
    case CONTROL_VENUE_LINK:
    case CONTROL_RING_FULL: return control_venue(r, control);
    case CONTROL_JOURNAL: r->journal_ok = control->value != 0; return ERR_OK;
    case CONTROL_CLOCK: r->clock_ok = control->value != 0; return ERR_OK;
    case CONTROL_ENABLE: return control_enable(r, control);
    default: return err_set(ERR_ARG, "risk: control kind %u does not exist", control->kind);
    }
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void row_read(const risk_row_t *row, risk_exposure_t *out)
{
    *out = (risk_exposure_t){.pos             = row->pos,
                             .buy_open        = row->buy_open,
                             .sell_open       = row->sell_open,
                             .worst_long      = row_long(row),
                             .worst_short     = row_short(row),
                             .open_value      = row->open_value > INT64_MAX ? INT64_MAX : (int64_t)row->open_value,
                             .open_orders     = row->open_orders,
                             .long_qty        = row->long_qty,
                             .short_qty       = row->short_qty,
                             .close_buy_open  = row->close_buy_open,
                             .close_sell_open = row->close_sell_open};
}

bool risk_exposure(const risk_t *r, uint32_t account_id, uint32_t instrument_id, risk_exposure_t *out)
{
    if (account_id == 0 || account_id > r->cfg.accounts_max || !risk_account(r, account_id)->exists ||
        instrument_id == 0 || instrument_id > r->cfg.instruments_max) {
        return false;
    }
    row_read(risk_row(r, account_id, instrument_id), out);
    return true;
}

bool risk_strategy_exposure(const risk_t *r, uint32_t strategy_id, uint32_t instrument_id, risk_exposure_t *out)
{
    if (strategy_id == 0 || strategy_id > r->cfg.strategies_max || risk_strategy(r, strategy_id)->tenant_id == 0 ||
        instrument_id == 0 || instrument_id > r->cfg.instruments_max) {
        return false;
    }
    row_read(risk_strategy_row(r, strategy_id, instrument_id), out);
    return true;
}

bool risk_account_state(const risk_t *r, uint32_t account_id, risk_account_state_t *out)
{
    if (account_id == 0 || account_id > r->cfg.accounts_max || !risk_account(r, account_id)->exists) {
        return false;
    }
    const risk_account_t *acc = risk_account(r, account_id);
    *out                      = (risk_account_state_t){.gross        = acc->gross,
                                                       .net_long     = acc->net_long,
                                                       .net_short    = acc->net_short,
                                                       .open_value   = acc->open_value,
                                                       .need         = acc->need,
                                                       .traded_value = acc->traded_value,
                                                       .open_orders  = acc->open_orders,
                                                       .latched      = acc->latched,
                                                       .reduce_only  = acc->reduce_only,
                                                       .killed       = acc->killed,
                                                       .unreconciled = acc->unreconciled,
                                                       .recovering   = acc->recovering};
    return true;
}

bool risk_strategy_killed(const risk_t *r, uint32_t strategy_id)
{
    return strategy_id >= 1 && strategy_id <= r->cfg.strategies_max && risk_strategy(r, strategy_id)->killed;
}

bool risk_venue_state(const risk_t *r, uint32_t venue_id, risk_venue_state_t *out)
{
    if (venue_id == 0 || venue_id > r->cfg.venues_max) {
        return false;
    }
    const risk_venue_t *venue = risk_venue(r, venue_id);
    *out                      = (risk_venue_state_t){.killed    = venue->killed,
                                                     .link_up   = venue->link_up,
                                                     .ring_full = venue->ring_full,
                                                     .session   = (uint8_t)venue->session};
    return true;
}

uint16_t risk_account_code(const risk_t *r, uint32_t account_id)
{
    risk_account_state_t acc;
    if (!risk_account_state(r, account_id, &acc)) {
        return RISK_ACCEPTED;
    }
    return r->killed                                                            ? RISK_KILL_GLOBAL
           : risk_tenant(r, risk_account(r, account_id)->cfg.tenant_id)->killed ? RISK_KILL_TENANT
           : acc.killed                                                         ? RISK_KILL_ACCOUNT
           : acc.reduce_only                                                    ? RISK_REDUCE_ONLY
           : acc.latched                                                        ? acc.latched
           : acc.recovering                                                     ? RISK_RECOVERING
           : acc.unreconciled                                                   ? RISK_UNRECONCILED
                                                                                : RISK_ACCEPTED;
}

risk_counts_t risk_counts(const risk_t *r)
{
    return r->counts;
}

uint64_t risk_seen(const risk_t *r, uint32_t origin)
{
    assert(origin < CL_ORD_ID_ORIGINS);
    return r->seen[origin];
}

uint32_t risk_limit_version(const risk_t *r)
{
    return r->limit_version;
}

uint64_t risk_hash(uint64_t hash, const risk_t *r)
{
    return hash_bytes(hash, r, r->size_bytes);
}
