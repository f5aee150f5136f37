#include "core/risk/risk.h"

#include <assert.h>
#include <string.h>

#include "core/risk/risk_private.h"
#include "core/types/hash.h"

#define DAY_NS (86400 * NS_PER_S)
#define LOSS_KILL_BP 12000
#define LOSS_KILL_AFTER_NS (60 * NS_PER_S)

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
                        .max_request_age_ns = 2 * NS_PER_S,
                        .max_ahead_ns       = NS_PER_S,
                        .soft_bp            = 8000};
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
        {"max_request_age_ns", (uint64_t)cfg->max_request_age_ns, 1, DAY_NS},
        {"max_ahead_ns", (uint64_t)cfg->max_ahead_ns, 0, DAY_NS},
        {"soft_bp", (uint64_t)cfg->soft_bp, 1, BP},
    };
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

/* Sizes and offsets; the rest of *r is zero. */
static void layout(const risk_cfg_t *cfg, risk_t *r)
{
    const uint64_t instruments = cfg->instruments_max + 1ULL;
    const uint64_t accounts    = cfg->accounts_max + 1ULL;
    const uint64_t strategies  = cfg->strategies_max + 1ULL;
    const uint64_t venues      = cfg->venues_max + 1ULL;
    *r                         = (risk_t){.cfg = *cfg};
    r->window_mask             = mask_of(cfg->window_max);
    r->value_mask              = mask_of(cfg->value_window_max);
    r->tenants_off             = round_64(sizeof *r);
    r->accounts_off            = round_64(r->tenants_off + cfg->tenants_max + 1ULL);
    r->strategies_off          = round_64(r->accounts_off + accounts * sizeof(risk_account_t));
    r->instruments_off         = round_64(r->strategies_off + strategies * sizeof(risk_strategy_t));
    r->venues_off              = round_64(r->instruments_off + instruments * sizeof(risk_instrument_t));
    r->rows_off                = round_64(r->venues_off + venues * sizeof(risk_venue_t));
    r->strategy_rows_off       = r->rows_off + instruments * accounts * sizeof(risk_row_t);
    r->times_off               = r->strategy_rows_off + instruments * strategies * sizeof(risk_row_t);
    r->passed_off              = round_64(r->times_off +
                                          (accounts + strategies + venues) * RATE_RINGS * (r->window_mask + 1ULL) * sizeof(int64_t));
    r->values_off              = r->passed_off + accounts * (r->window_mask + 1ULL) * sizeof(risk_passed_t);
    r->size_bytes              = round_64(r->values_off + accounts * (r->value_mask + 1ULL) * sizeof(risk_value_t));
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
    acc->cfg    = *cfg;
    acc->exists = 1;
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

/* ---- limits ------------------------------------------------------------------------------------------------------ */

/* Which scopes have a field, its bounds and its default. Counts of windows are bounded by cfg.window_max as well. */
#define V_ (1U << SCOPE_VENUE)
#define A_ (1U << SCOPE_ACCOUNT)
#define S_ (1U << SCOPE_STRATEGY)
#define I_ (1U << SCOPE_INSTRUMENT)
#define AI_ (1U << SCOPE_ACCOUNT_INSTRUMENT)
#define SI_ (1U << SCOPE_STRATEGY_INSTRUMENT)
#define AT(field) #field, offsetof(risk_limits_t, field)

static const struct {
    const char *name;
    size_t      offset;
    uint32_t    scopes;
    bool        window_count;
    int64_t     min;
    int64_t     max;
    int64_t     fallback;
} FIELDS[] = {
    {AT(max_qty), I_ | AI_, false, 0, INT64_MAX, 0},
    {AT(max_value), A_ | I_, false, 0, INT64_MAX, 0},
    {AT(max_md_age_ns), I_, false, 0, DAY_NS, 500 * NS_PER_MS},
    {AT(max_spread_bp), I_, false, 0, 100 * BP, 500},
    {AT(collar_bp), I_, false, 0, BP, 300},
    {AT(far_bp), I_, false, 0, 100 * BP, 5000},
    {AT(max_long), AI_ | SI_, false, 0, INT64_MAX, 0},
    {AT(max_short), AI_ | SI_, false, 0, INT64_MAX, 0},
    {AT(max_gross), A_, false, 0, INT64_MAX, 0},
    {AT(max_net), A_, false, 0, INT64_MAX, 0},
    {AT(concentration_bp), A_, false, 0, BP, 2500},
    {AT(max_open_orders), A_ | AI_, false, 0, ORDER_ROWS_MAX, 0},
    {AT(max_open_value), A_, false, 0, INT64_MAX, 0},
    {AT(max_day_loss), A_, false, 0, INT64_MAX, 0},
    {AT(max_realised_loss), A_, false, 0, INT64_MAX, 0},
    {AT(max_drawdown), A_, false, 0, INT64_MAX, 0},
    {AT(rate_n), A_ | S_ | V_, true, 0, RISK_WINDOW_MAX, 100},
    {AT(rate_w_ns), A_ | S_ | V_, false, 1, DAY_NS, NS_PER_S},
    {AT(msg_n), A_ | S_ | V_, true, 0, RISK_WINDOW_MAX, 250},
    {AT(msg_w_ns), A_ | S_ | V_, false, 1, DAY_NS, NS_PER_S},
    {AT(cancel_n), A_ | S_ | V_, true, 0, RISK_WINDOW_MAX, 200},
    {AT(cancel_w_ns), A_ | S_ | V_, false, 1, DAY_NS, NS_PER_S},
    {AT(value_w_max), A_, false, 0, INT64_MAX, 0},
    {AT(value_w_ns), A_, false, 1, DAY_NS, 60 * NS_PER_S},
    {AT(dup_n), A_, true, 0, RISK_WINDOW_MAX, 1},
    {AT(dup_w_ns), A_, false, 1, DAY_NS, 100 * NS_PER_MS},
};
#define FIELD_COUNT (sizeof FIELDS / sizeof FIELDS[0])
_Static_assert(FIELD_COUNT == sizeof(risk_limits_t) / sizeof(int64_t), "every field is validated");

void risk_limits_default(scope_t scope_type, risk_limits_t *limits)
{
    *limits = (risk_limits_t){0};
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (FIELDS[i].scopes & 1U << scope_type) {
            memcpy((char *)limits + FIELDS[i].offset, &FIELDS[i].fallback, sizeof(int64_t));
        }
    }
    if (scope_type == SCOPE_ACCOUNT) {
        limits->max_open_orders = 500;
    } else if (scope_type == SCOPE_ACCOUNT_INSTRUMENT) {
        limits->max_open_orders = 50;
    }
}

static err_t limits_validate(const risk_t *r, scope_t scope_type, const risk_limits_t *limits)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        int64_t       value;
        const bool    has = FIELDS[i].scopes & 1U << scope_type;
        const int64_t min = has ? FIELDS[i].min : 0;
        const int64_t max = !has ? 0 : FIELDS[i].window_count ? r->cfg.window_max : FIELDS[i].max;
        memcpy(&value, (const char *)limits + FIELDS[i].offset, sizeof value);
        if (value < min || value > max) {
            return err_set(ERR_ARG, "risk: limit %s %lld is not in %lld..%lld for scope type %d", FIELDS[i].name,
                           (long long)value, (long long)min, (long long)max, (int)scope_type);
        }
    }
    /* The ring of passed orders holds what the order rate lets pass within its own window, and no more. */
    if (limits->dup_w_ns > limits->rate_w_ns) {
        return err_set(ERR_ARG, "risk: limit dup_w_ns %lld is above rate_w_ns %lld", (long long)limits->dup_w_ns,
                       (long long)limits->rate_w_ns);
    }
    return ERR_OK;
}

static void rates_set(const risk_t *r, risk_rate_t *rate, const risk_limits_t *limits)
{
    rate[RATE_ORDERS].n      = limits->rate_n;
    rate[RATE_ORDERS].w_ns   = limits->rate_w_ns;
    rate[RATE_MESSAGES].n    = limits->msg_n;
    rate[RATE_MESSAGES].w_ns = limits->msg_w_ns;
    rate[RATE_CANCELS].n     = limits->cancel_n;
    rate[RATE_CANCELS].w_ns  = limits->cancel_w_ns;
    for (int k = 0; k < RATE_KINDS; k++) {
        rate[k].soft_n = max_i64(1, (rate[k].n * r->cfg.soft_bp + BP - 1) / BP);
    }
}

static void row_limits_set(risk_row_t *row, const risk_limits_t *limits)
{
    row->max_long        = limits->max_long;
    row->max_short       = limits->max_short;
    row->max_qty         = limits->max_qty;
    row->max_open_orders = limits->max_open_orders;
    row->flags |= ROW_LIMITS;
}

static err_t scope_ids_check(const risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2)
{
    const bool pair = scope_type == SCOPE_ACCOUNT_INSTRUMENT || scope_type == SCOPE_STRATEGY_INSTRUMENT;
    err_t      err  = ERR_OK;
    switch (scope_type) {
    case SCOPE_VENUE: err = id_check("venue", id1, r->cfg.venues_max); break;
    case SCOPE_INSTRUMENT: err = id_check("instrument", id1, r->cfg.instruments_max); break;
    case SCOPE_ACCOUNT:
    case SCOPE_ACCOUNT_INSTRUMENT: err = id_check("account", id1, r->cfg.accounts_max); break;
    case SCOPE_STRATEGY:
    case SCOPE_STRATEGY_INSTRUMENT: err = id_check("strategy", id1, r->cfg.strategies_max); break;
    default: return err_set(ERR_ARG, "risk: scope type %d has no limits", (int)scope_type);
    }
    if (err == ERR_OK && pair) {
        err = id_check("instrument", id2, r->cfg.instruments_max);
    }
    return err;
}

err_t risk_limits_set(risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2, const risk_limits_t *limits)
{
    err_t err = scope_ids_check(r, scope_type, id1, id2);
    if (err == ERR_OK) {
        err = limits_validate(r, scope_type, limits);
    }
    if (err != ERR_OK) {
        return err;
    }
    switch (scope_type) {
    case SCOPE_VENUE:
        risk_venue(r, id1)->has_limits = 1;
        rates_set(r, risk_venue(r, id1)->rate, limits);
        break;
    case SCOPE_STRATEGY:
        risk_strategy(r, id1)->has_limits = 1;
        rates_set(r, risk_strategy(r, id1)->rate, limits);
        break;
    case SCOPE_ACCOUNT:
        risk_account(r, id1)->has_limits = 1;
        risk_account(r, id1)->limits     = *limits;
        rates_set(r, risk_account(r, id1)->rate, limits);
        break;
    case SCOPE_INSTRUMENT:
        risk_instrument(r, id1)->has_limits = 1;
        risk_instrument(r, id1)->limits     = *limits;
        break;
    case SCOPE_ACCOUNT_INSTRUMENT: row_limits_set(risk_row(r, id1, id2), limits); break;
    default: row_limits_set(risk_strategy_row(r, id1, id2), limits); break;
    }
    r->limit_version++;
    return ERR_OK;
}

bool risk_limits_known(const risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2)
{
    if (scope_ids_check(r, scope_type, id1, id2) != ERR_OK) {
        return false;
    }
    switch (scope_type) {
    case SCOPE_VENUE: return risk_venue(r, id1)->has_limits;
    case SCOPE_STRATEGY: return risk_strategy(r, id1)->has_limits;
    case SCOPE_ACCOUNT: return risk_account(r, id1)->has_limits;
    case SCOPE_INSTRUMENT: return risk_instrument(r, id1)->has_limits;
    case SCOPE_ACCOUNT_INSTRUMENT: return risk_row(r, id1, id2)->flags & ROW_LIMITS;
    default: return risk_strategy_row(r, id1, id2)->flags & ROW_LIMITS;
    }
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

static err_t control_kill(risk_t *r, const control_t *control)
{
    const uint32_t id  = control->scope_id;
    const uint8_t  on  = control->value != 0;
    err_t          err = ERR_OK;
    switch (control->scope_type) {
    case SCOPE_GLOBAL: r->killed = on; break;
    case SCOPE_TENANT:
        if ((err = id_check("tenant", id, r->cfg.tenants_max)) == ERR_OK) {
            *risk_tenant_killed(r, id) = on;
        }
        break;
    case SCOPE_ACCOUNT:
        if ((err = id_check("account", id, r->cfg.accounts_max)) == ERR_OK) {
            risk_account(r, id)->killed = on;
        }
        break;
    case SCOPE_STRATEGY:
        if ((err = id_check("strategy", id, r->cfg.strategies_max)) == ERR_OK) {
            risk_strategy(r, id)->killed = on;
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
    default: return err_set(ERR_ARG, "risk: control kind %u does not exist", control->kind);
    }
}

/* ---- exposure ---------------------------------------------------------------------------------------------------- */

static int64_t value_signed(const instrument_t *ins, int64_t px, int64_t qty)
{
    int64_t value;
    if (qty == INT64_MIN || !instrument_notional(ins, px, qty < 0 ? -qty : qty, &value)) {
        value = INT64_MAX;
    }
    return qty < 0 ? -value : value;
}

void risk_row_revalue(const instrument_t *ins, risk_account_t *acc, risk_row_t *row)
{
    if (row->flags & ROW_BROKEN) {
        risk_row_value(acc, row, INT64_MAX, INT64_MAX);
    } else {
        risk_row_value(acc, row, value_signed(ins, row->mark_px, row_long(row)),
                       value_signed(ins, row->mark_px, row_short(row)));
    }
}

bool risk_part_value(const instrument_t *ins, const order_part_t *part, int64_t *out)
{
    int64_t lo;
    int64_t hi;
    *out = 0;
    if (part->qty == 0) {
        return true;
    }
    if (!instrument_notional(ins, part->px_hi, part->qty, &hi) ||
        (part->px_lo != part->px_hi && !instrument_notional(ins, part->px_lo, part->qty, &lo))) {
        *out = INT64_MAX;
        return false;
    }
    *out = part->px_lo != part->px_hi ? max_i64(lo, hi) : hi;
    return true;
}

/* pos, buy_open and sell_open of a row change together. When a sum, L or K leaves 63 bits the row is closed for good:
 * nothing that it says could be trusted. */
static void row_add(risk_row_t *row, i128_t pos, i128_t buy_open, i128_t sell_open)
{
    int64_t fits;
    pos += row->pos;
    buy_open += row->buy_open;
    sell_open += row->sell_open;
    if ((row->flags & ROW_BROKEN) || !fit_i64(pos, &fits) || !fit_i64(buy_open, &fits) || !fit_i64(sell_open, &fits) ||
        !fit_i64(pos + buy_open, &fits) || !fit_i64(sell_open - pos, &fits)) {
        row->flags |= ROW_BROKEN;
        return;
    }
    row->pos       = (int64_t)pos;
    row->buy_open  = (int64_t)buy_open;
    row->sell_open = (int64_t)sell_open;
}

static void row_move(risk_row_t *row, const order_part_t *before, const order_part_t *after)
{
    const i128_t buy =
        (i128_t)(after->side == SIDE_BUY ? after->qty : 0) - (before->side == SIDE_BUY ? before->qty : 0);
    const i128_t sell =
        (i128_t)(after->side == SIDE_SELL ? after->qty : 0) - (before->side == SIDE_SELL ? before->qty : 0);
    row_add(row, 0, buy, sell);
    row->open_orders += (uint32_t)after->counts - before->counts;
}

void risk_row_move(risk_account_t *acc, risk_row_t *row, risk_row_t *strategy_row, const order_part_t *before,
                   const order_part_t *after, i128_t value)
{
    row_move(row, before, after);
    if (strategy_row) {
        row_move(strategy_row, before, after);
    }
    row->open_value += value;
    acc->open_value += value;
    acc->open_orders += (int64_t)after->counts - before->counts;
}

static risk_row_t *strategy_row_of(const risk_t *r, uint32_t strategy_id, uint32_t instrument_id)
{
    return strategy_id >= 1 && strategy_id <= r->cfg.strategies_max ? risk_strategy_row(r, strategy_id, instrument_id)
                                                                    : NULL;
}

bool risk_fill(risk_t *r, const instrument_t *ins, uint32_t account_id, uint32_t strategy_id, int64_t qty, int64_t px)
{
    static const order_part_t none;
    const order_effect_t      effect = {.row           = ORDER_NONE,
                                        .account_id    = account_id,
                                        .strategy_id   = strategy_id,
                                        .instrument_id = ins->def.instrument_id,
                                        .booked        = 1,
                                        .qty           = qty,
                                        .px            = px,
                                        .before        = none,
                                        .after         = none};
    return risk_exec(r, ins, &effect);
}

bool risk_exec(risk_t *r, const instrument_t *ins, const order_effect_t *effect)
{
    if (effect->account_id == 0 || effect->account_id > r->cfg.accounts_max) {
        return !effect->booked;
    }
    risk_account_t *acc = risk_account(r, effect->account_id);
    if (effect->alarms & 1U << ALARM_OVERFILL) {
        acc->reduce_only = 1;
    }
    if (effect->alarms & 1U << ALARM_ACCOUNT_UNRECONCILED) {
        acc->unreconciled = 1;
    }
    if (!effect->booked && effect->row == ORDER_NONE) {
        return true;
    }
    assert(effect->instrument_id == ins->def.instrument_id && effect->instrument_id <= r->cfg.instruments_max);
    risk_row_t *row          = risk_row(r, effect->account_id, effect->instrument_id);
    risk_row_t *strategy_row = strategy_row_of(r, effect->strategy_id, effect->instrument_id);
    int64_t     was;
    int64_t     is;
    risk_part_value(ins, &effect->before, &was);
    risk_part_value(ins, &effect->after, &is);
    risk_row_move(acc, row, strategy_row, &effect->before, &effect->after, (i128_t)is - was);
    if (effect->booked) {
        row_add(row, effect->qty, 0, 0);
        if (strategy_row) {
            row_add(strategy_row, effect->qty, 0, 0);
        }
    }
    const int64_t mark_px = risk_instrument(r, effect->instrument_id)->mark_px;
    row->mark_px          = mark_px ? mark_px : effect->booked ? effect->px : row->mark_px;
    risk_row_revalue(ins, acc, row);
    return true;
}

/* ---- reference price and marks ----------------------------------------------------------------------------------- */

risk_ref_t risk_ref_find(const instrument_t *ins, const risk_md_t *md, int64_t max_age_ns, now_t now)
{
    risk_ref_t ref = {0};
    if (md == NULL) {
        return ref;
    }
    ref.book_age_ns = now.mono_ns - md->book_mono_ns;
    ref.last_age_ns = now.mono_ns - md->last_mono_ns;
    ref.book_fresh  = md->has_bid && md->has_ask && ref.book_age_ns <= max_age_ns;
    ref.last_fresh  = md->has_last && ref.last_age_ns <= max_age_ns;
    if (ref.book_fresh && md->bid_px < md->ask_px && (md->bid_px > 0 || ins->def.allow_negative)) {
        ref.known = true;
        ref.px2   = (i128_t)md->bid_px + md->ask_px;
    } else if (ref.last_fresh && (md->last_px > 0 || ins->def.allow_negative)) {
        ref.known = true;
        ref.px2   = 2 * (i128_t)md->last_px;
    }
    return ref;
}

int64_t risk_ref_px(const instrument_t *ins, i128_t px2)
{
    /* Away from zero is worth more, but for an inverse contract it is towards zero. */
    const i128_t px = px2 / 2;
    if (ins->def.kind == INSTRUMENT_INVERSE) {
        return (int64_t)px;
    }
    return (int64_t)(px + px2 % 2);
}

void risk_mark(risk_t *r, const instrument_t *ins, const risk_md_t *md, now_t now)
{
    const uint32_t instrument_id = ins->def.instrument_id;
    assert(instrument_id >= 1 && instrument_id <= r->cfg.instruments_max);
    const risk_ref_t ref = risk_ref_find(ins, md, risk_instrument(r, instrument_id)->limits.max_md_age_ns, now);
    if (!ref.known) {
        return;
    }
    const int64_t px                           = risk_ref_px(ins, ref.px2);
    risk_instrument(r, instrument_id)->mark_px = px;
    for (uint32_t id = 1; id <= r->cfg.accounts_max; id++) {
        risk_row_t *row = risk_row(r, id, instrument_id);
        if (row->mark_px != px && (row->pos | row->buy_open | row->sell_open) != 0) {
            row->mark_px = px;
            risk_row_revalue(ins, risk_account(r, id), row);
        }
    }
}

/* ---- loss (J) ---------------------------------------------------------------------------------------------------- */

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

/* Highest equity of the UTC day. */
static int64_t equity_peak(risk_account_t *acc, int64_t equity, now_t now)
{
    const int64_t day = now.utc_ns / DAY_NS + 1;
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
        {RISK_DRAWDOWN, loss_of((i128_t)pnl->equity - equity_peak(acc, pnl->equity, now)), acc->limits.max_drawdown},
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

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void row_read(const risk_row_t *row, risk_exposure_t *out)
{
    *out = (risk_exposure_t){.pos         = row->pos,
                             .buy_open    = row->buy_open,
                             .sell_open   = row->sell_open,
                             .worst_long  = row_long(row),
                             .worst_short = row_short(row),
                             .open_value  = loss_of(-row->open_value),
                             .open_orders = row->open_orders};
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
                                                       .open_orders  = acc->open_orders,
                                                       .latched      = acc->latched,
                                                       .reduce_only  = acc->reduce_only,
                                                       .killed       = acc->killed,
                                                       .unreconciled = acc->unreconciled,
                                                       .recovering   = acc->recovering};
    return true;
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
           : *risk_tenant_killed(r, risk_account(r, account_id)->cfg.tenant_id) ? RISK_KILL_TENANT
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
