/* Limit sets: the table of fields, whole sets, changes of single fields, overrides.
 *
 * Where a set lies: risk_limits_t of account, strategy, instrument, venue; the four fields of a row; max_credit of tenant
 * and firm. What is stored is in force; the base of a field under an active override lies in the override. */
#include <assert.h>
#include <string.h>

#include "core/risk/risk_private.h"

static const risk_field_t FIELDS[RISK_FIELD_COUNT] = {
#define RISK_FIELD_ROW(name, unit, scopes, code, min, max, fallback) {#name, unit, scopes, code, min, max, fallback},
    RISK_FIELDS(RISK_FIELD_ROW)
#undef RISK_FIELD_ROW
};
_Static_assert(sizeof(risk_limits_t) == RISK_FIELD_COUNT * sizeof(int64_t), "a field's number is its place");
_Static_assert(RISK_FIELD_dup_w_ns == RISK_SETUP_FIELDS - 1, "the last field of a LIMIT_SET");

const risk_field_t *risk_field(uint32_t field)
{
    return field < RISK_FIELD_COUNT ? &FIELDS[field] : NULL;
}

const char *risk_field_name(uint32_t field)
{
    return field < RISK_FIELD_COUNT ? FIELDS[field].name : "";
}

uint32_t risk_field_find(const char *name)
{
    uint32_t i = 0;
    while (i < RISK_FIELD_COUNT && strcmp(FIELDS[i].name, name) != 0) {
        i++;
    }
    return i;
}

static int64_t field_get(const risk_limits_t *limits, uint32_t field)
{
    int64_t value;
    memcpy(&value, (const char *)limits + field * sizeof value, sizeof value);
    return value;
}

static void field_put(risk_limits_t *limits, uint32_t field, int64_t value)
{
    memcpy((char *)limits + field * sizeof value, &value, sizeof value);
}

/* +1: a larger value lets more pass; -1: a smaller one; 0: nobody can say. */
static int direction(uint32_t field)
{
    switch (field) {
    case RISK_FIELD_rate_w_ns:
    case RISK_FIELD_msg_w_ns:
    case RISK_FIELD_cancel_w_ns:
    case RISK_FIELD_value_w_ns:
    case RISK_FIELD_dup_w_ns:
    case RISK_FIELD_rep_w_ns:
    case RISK_FIELD_reject_w_ns:
    case RISK_FIELD_vol_pause_ns:
    case RISK_FIELD_margin_bp: return -1;
    case RISK_FIELD_vol_w_ns: return 0;
    default: return 1;
    }
}

bool risk_limit_looser(uint32_t field, int64_t from, int64_t to)
{
    const int way = direction(field);
    return way > 0 ? to > from : way < 0 ? to < from : to != from;
}

void risk_limits_default(scope_t scope_type, risk_limits_t *limits)
{
    *limits = (risk_limits_t){0};
    for (uint32_t i = 0; i < RISK_FIELD_COUNT; i++) {
        if (FIELDS[i].scopes & 1U << scope_type) {
            field_put(limits, i, FIELDS[i].fallback);
        }
    }
    if (scope_type == SCOPE_ACCOUNT_INSTRUMENT) {
        limits->max_open_orders = 50;
    }
}

static err_t validate(const risk_t *r, scope_t scope_type, const risk_limits_t *limits)
{
    for (uint32_t i = 0; i < RISK_FIELD_COUNT; i++) {
        const risk_field_t *f     = &FIELDS[i];
        const bool          has   = f->scopes & 1U << scope_type;
        const int64_t       min   = has ? f->min : 0;
        const int64_t       max   = !has ? 0 : f->max == RISK_WINDOW_MAX ? r->cfg.window_max : f->max;
        const int64_t       value = field_get(limits, i);
        if (value < min || value > max) {
            return err_set(ERR_ARG, "risk: limit %s %lld is not in %lld..%lld for scope type %d", f->name,
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

/* ---- where a set lies -------------------------------------------------------------------------------------------- */

static err_t id_check(const char *what, uint32_t id, uint32_t max)
{
    return id >= 1 && id <= max ? ERR_OK : err_set(ERR_ARG, "risk: %s %u is not in 1..%u", what, id, max);
}

static bool is_pair(scope_t scope_type)
{
    return scope_type == SCOPE_ACCOUNT_INSTRUMENT || scope_type == SCOPE_STRATEGY_INSTRUMENT ||
           scope_type == SCOPE_TENANT_INSTRUMENT;
}

static err_t scope_check(const risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2)
{
    err_t err = ERR_OK;
    switch (scope_type) {
    case SCOPE_GLOBAL: return id1 == 0 ? ERR_OK : err_set(ERR_ARG, "risk: the firm has no id, %u was given", id1);
    case SCOPE_TENANT:
    case SCOPE_TENANT_INSTRUMENT: err = id_check("tenant", id1, r->cfg.tenants_max); break;
    case SCOPE_VENUE: err = id_check("venue", id1, r->cfg.venues_max); break;
    case SCOPE_INSTRUMENT: err = id_check("instrument", id1, r->cfg.instruments_max); break;
    case SCOPE_ACCOUNT:
    case SCOPE_ACCOUNT_INSTRUMENT: err = id_check("account", id1, r->cfg.accounts_max); break;
    case SCOPE_STRATEGY:
    case SCOPE_STRATEGY_INSTRUMENT: err = id_check("strategy", id1, r->cfg.strategies_max); break;
    default: return err_set(ERR_ARG, "risk: scope type %d has no limits", (int)scope_type);
    }
    return err == ERR_OK && is_pair(scope_type) ? id_check("instrument", id2, r->cfg.instruments_max) : err;
}

/* NULL = of no pair. */
static risk_row_t *row_of(const risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2)
{
    switch (scope_type) {
    case SCOPE_ACCOUNT_INSTRUMENT: return risk_row(r, id1, id2);
    case SCOPE_STRATEGY_INSTRUMENT: return risk_strategy_row(r, id1, id2);
    case SCOPE_TENANT_INSTRUMENT: return risk_tenant_row(r, id1, id2);
    default: return NULL;
    }
}

/* The set in force; false = none was ever given. */
static bool load(const risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2, risk_limits_t *out)
{
    const risk_row_t *row = row_of(r, scope_type, id1, id2);
    *out                  = (risk_limits_t){0};
    if (row) {
        out->max_long        = row->max_long;
        out->max_short       = row->max_short;
        out->max_qty         = row->max_qty;
        out->max_open_orders = row->max_open_orders;
        return row->flags & ROW_LIMITS;
    }
    switch (scope_type) {
    case SCOPE_GLOBAL: out->max_credit = r->max_credit; return r->has_limits;
    case SCOPE_TENANT: out->max_credit = risk_tenant(r, id1)->max_credit; return risk_tenant(r, id1)->has_limits;
    case SCOPE_VENUE: *out = risk_venue(r, id1)->limits; return risk_venue(r, id1)->has_limits;
    case SCOPE_STRATEGY: *out = risk_strategy(r, id1)->limits; return risk_strategy(r, id1)->has_limits;
    case SCOPE_ACCOUNT: *out = risk_account(r, id1)->limits; return risk_account(r, id1)->has_limits;
    default: *out = risk_instrument(r, id1)->limits; return risk_instrument(r, id1)->has_limits;
    }
}

static void rates_set(const risk_t *r, risk_rate_t *rate, const risk_limits_t *limits)
{
    rate[RATE_ORDERS].free   = 0; /* looked for anew */
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

/* A longer window of 273 reaches values that the shorter one has let go: they are in the ring for as long as they may count,
 * and are taken off again by the next check as far as they are older. */
static void values_again(const risk_t *r, uint32_t id)
{
    risk_account_t     *acc  = risk_account(r, id);
    const uint64_t      kept = r->value_mask + 1ULL;
    const risk_value_t *ring = (const risk_value_t *)risk_at(r, r->values_off) + id * kept;
    acc->value_tail          = acc->value_head - (acc->value_head < kept ? acc->value_head : kept);
    acc->value_sum           = 0;
    for (uint64_t i = acc->value_tail; i != acc->value_head; i++) {
        acc->value_sum += ring[i & r->value_mask].value;
    }
}

static void store_account(risk_t *r, uint32_t id, const risk_limits_t *limits)
{
    risk_account_t *acc    = risk_account(r, id);
    const int64_t   before = acc->limits.value_w_ns;
    acc->has_limits        = 1;
    acc->limits            = *limits;
    rates_set(r, acc->rate, limits);
    if (limits->value_w_ns > before) {
        values_again(r, id);
    }
}

static void store_instrument(risk_t *r, uint32_t id, const risk_limits_t *limits)
{
    risk_instrument_t  *market = risk_instrument(r, id);
    const risk_limits_t before = market->limits;
    market->has_limits         = 1;
    market->limits             = *limits;
    if (before.vol_w_ns != limits->vol_w_ns) {
        risk_vol_restart(market);
    }
    for (uint32_t account = risk_holder_next(r, id, 0); before.margin_bp != limits->margin_bp && account != 0;
         account          = risk_holder_next(r, id, account)) {
        risk_row_t *row = risk_row(r, account, id);
        risk_row_value(r, risk_account(r, account), row, row->value_long, row->value_short,
                       risk_need_of(market, gross_of(row->value_long, row->value_short)));
    }
}

static void store(risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2, const risk_limits_t *limits)
{
    risk_row_t *row = row_of(r, scope_type, id1, id2);
    if (row) {
        row->max_long        = limits->max_long;
        row->max_short       = limits->max_short;
        row->max_qty         = limits->max_qty;
        row->max_open_orders = limits->max_open_orders;
        row->flags |= ROW_LIMITS;
        return;
    }
    switch (scope_type) {
    case SCOPE_GLOBAL:
        r->has_limits = 1;
        r->max_credit = limits->max_credit;
        break;
    case SCOPE_TENANT:
        risk_tenant(r, id1)->has_limits = 1;
        risk_tenant(r, id1)->max_credit = limits->max_credit;
        break;
    case SCOPE_VENUE:
        risk_venue(r, id1)->has_limits = 1;
        risk_venue(r, id1)->limits     = *limits;
        rates_set(r, risk_venue(r, id1)->rate, limits);
        break;
    case SCOPE_STRATEGY:
        risk_strategy(r, id1)->has_limits = 1;
        risk_strategy(r, id1)->limits     = *limits;
        rates_set(r, risk_strategy(r, id1)->rate, limits);
        break;
    case SCOPE_ACCOUNT: store_account(r, id1, limits); break;
    default: store_instrument(r, id1, limits); break;
    }
}

static bool same_scope(const risk_override_t *o, scope_t scope_type, uint32_t id1, uint32_t id2)
{
    return o->scope_type == (uint8_t)scope_type && o->scope_id == id1 && o->scope_id2 == id2;
}

/* The base of what is in force. */
static void base_of(const risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2, risk_limits_t *limits)
{
    for (uint32_t i = 0; i < r->override_count; i++) {
        const risk_override_t *o = &r->overrides[i];
        if (o->active && same_scope(o, scope_type, id1, id2)) {
            field_put(limits, o->field, o->base);
        }
    }
}

/* What is in force with this base. */
static risk_limits_t raised(const risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2, const risk_limits_t *base)
{
    risk_limits_t limits = *base;
    for (uint32_t i = 0; i < r->override_count; i++) {
        const risk_override_t *o = &r->overrides[i];
        if (o->active && same_scope(o, scope_type, id1, id2) &&
            risk_limit_looser(o->field, field_get(base, o->field), o->value)) {
            field_put(&limits, o->field, o->value);
        }
    }
    return limits;
}

static err_t base_check(const risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2, const risk_limits_t *base)
{
    const err_t         err    = validate(r, scope_type, base);
    const risk_limits_t limits = raised(r, scope_type, id1, id2, base);
    return err != ERR_OK ? err : validate(r, scope_type, &limits);
}

static void base_set(risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2, const risk_limits_t *base)
{
    const risk_limits_t limits = raised(r, scope_type, id1, id2, base);
    for (uint32_t i = 0; i < r->override_count; i++) {
        risk_override_t *o = &r->overrides[i];
        if (o->active && same_scope(o, scope_type, id1, id2)) {
            o->base = field_get(base, o->field);
        }
    }
    store(r, scope_type, id1, id2, &limits);
}

/* ---- sets and changes -------------------------------------------------------------------------------------------- */

err_t risk_limits_set(risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2, const risk_limits_t *limits)
{
    err_t err = scope_check(r, scope_type, id1, id2);
    if (err == ERR_OK) {
        err = base_check(r, scope_type, id1, id2, limits);
    }
    if (err == ERR_OK) {
        base_set(r, scope_type, id1, id2, limits);
        r->limit_version++;
    }
    return err;
}

static bool same_set(const risk_limit_value_t *a, const risk_limit_value_t *b)
{
    return a->scope_type == b->scope_type && a->id1 == b->id1 && a->id2 == b->id2;
}

/* The base set of values[at]'s scope with all changes of it in place. */
static risk_limits_t changed(const risk_t *r, const risk_limit_value_t *values, uint32_t at, uint32_t count)
{
    const scope_t scope_type = (scope_t)values[at].scope_type;
    risk_limits_t limits;
    if (load(r, scope_type, values[at].id1, values[at].id2, &limits)) {
        base_of(r, scope_type, values[at].id1, values[at].id2, &limits);
    } else {
        risk_limits_default(scope_type, &limits);
    }
    for (uint32_t i = at; i < count; i++) {
        if (same_set(&values[i], &values[at])) {
            field_put(&limits, values[i].field, values[i].value);
        }
    }
    return limits;
}

static bool first_of_set(const risk_limit_value_t *values, uint32_t at)
{
    uint32_t i = 0;
    while (!same_set(&values[i], &values[at])) {
        i++;
    }
    return i == at;
}

static err_t value_check(const risk_t *r, const risk_limit_value_t *v)
{
    const err_t err = scope_check(r, (scope_t)v->scope_type, v->id1, v->id2);
    if (err != ERR_OK) {
        return err;
    }
    if (v->field >= RISK_FIELD_COUNT) {
        return err_set(ERR_ARG, "risk: limit field %u does not exist, there are %d", v->field, RISK_FIELD_COUNT);
    }
    if (!(FIELDS[v->field].scopes & 1U << v->scope_type)) {
        return err_set(ERR_ARG, "risk: limit %s does not go with scope type %u", FIELDS[v->field].name, v->scope_type);
    }
    if (v->id2 != 0 && !is_pair((scope_t)v->scope_type)) { /* it would be another set than the one without */
        return err_set(ERR_ARG, "risk: scope type %u has one id, %u was given beside it", v->scope_type, v->id2);
    }
    return ERR_OK;
}

/* Is it another base than the one that is there, or the first one? */
static bool base_differs(const risk_t *r, const risk_limit_value_t *v, const risk_limits_t *base)
{
    risk_limits_t now;
    const bool    there = load(r, (scope_t)v->scope_type, v->id1, v->id2, &now);
    base_of(r, (scope_t)v->scope_type, v->id1, v->id2, &now);
    return !there || memcmp(&now, base, sizeof now) != 0;
}

err_t risk_limits_change(risk_t *r, const risk_limit_value_t *values, uint32_t count)
{
    bool differs = false;
    for (uint32_t i = 0; i < count; i++) {
        const err_t err = value_check(r, &values[i]);
        if (err != ERR_OK) {
            return err;
        }
    }
    for (int put = 0; put < 2; put++) { /* all are checked before the first is stored */
        for (uint32_t i = 0; i < count; i++) {
            if (!first_of_set(values, i)) {
                continue;
            }
            const scope_t       scope_type = (scope_t)values[i].scope_type;
            const risk_limits_t limits     = changed(r, values, i, count);
            if (put) {
                differs |= base_differs(r, &values[i], &limits);
                base_set(r, scope_type, values[i].id1, values[i].id2, &limits);
                continue;
            }
            const err_t err = base_check(r, scope_type, values[i].id1, values[i].id2, &limits);
            if (err != ERR_OK) {
                return err;
            }
        }
    }
    r->limit_version += differs;
    return ERR_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

bool risk_limits_get(const risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2, risk_limits_t *out)
{
    risk_limits_t limits;
    if (scope_check(r, scope_type, id1, id2) != ERR_OK || !load(r, scope_type, id1, id2, &limits)) {
        return false;
    }
    *out = limits;
    return true;
}

bool risk_limits_base(const risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2, risk_limits_t *out)
{
    if (!risk_limits_get(r, scope_type, id1, id2, out)) {
        return false;
    }
    base_of(r, scope_type, id1, id2, out);
    return true;
}

bool risk_limits_known(const risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2)
{
    risk_limits_t limits;
    return risk_limits_get(r, scope_type, id1, id2, &limits);
}

bool risk_limit(const risk_t *r, scope_t scope_type, uint32_t id1, uint32_t id2, uint32_t field, int64_t *out)
{
    risk_limits_t limits;
    if (field >= RISK_FIELD_COUNT || !risk_limits_get(r, scope_type, id1, id2, &limits) ||
        !(FIELDS[field].scopes & 1U << scope_type)) {
        return false;
    }
    *out = field_get(&limits, field);
    return true;
}

/* ---- overrides --------------------------------------------------------------------------------------------------- */

/* Its place; override_count when there is none. */
static uint32_t override_of(const risk_t *r, uint64_t change_id)
{
    uint32_t i = 0;
    while (i < r->override_count && r->overrides[i].change_id != change_id) {
        i++;
    }
    return i;
}

static err_t override_unknown(uint64_t change_id)
{
    return err_set(ERR_NOT_FOUND, "risk: no override %llu was asked for", (unsigned long long)change_id);
}

/* Would the whole set be one with the raised value in it? */
static err_t raised_check(const risk_t *r, const risk_limit_value_t *v, int64_t value)
{
    risk_limits_t limits;
    const scope_t scope_type = (scope_t)v->scope_type;
    if (!load(r, scope_type, v->id1, v->id2, &limits)) {
        return err_set(ERR_NOT_FOUND, "risk: no limits are set for scope type %u, id %u", v->scope_type, v->id1);
    }
    const int64_t now = field_get(&limits, v->field);
    if (direction(v->field) == 0 || !risk_limit_looser(v->field, now, value)) {
        return err_set(ERR_ARG, "risk: an override of %s to %lld raises nothing, %lld is in force",
                       FIELDS[v->field].name, (long long)value, (long long)now);
    }
    field_put(&limits, v->field, value);
    return validate(r, scope_type, &limits);
}

err_t risk_override_ask(risk_t *r, uint64_t change_id, const risk_limit_value_t *v, int64_t until_utc_ns, uint32_t by,
                        now_t now)
{
    err_t err = value_check(r, v);
    if (err == ERR_OK) {
        err = raised_check(r, v, v->value);
    }
    if (err != ERR_OK) {
        return err;
    }
    if (until_utc_ns <= now.utc_ns) {
        return err_set(ERR_ARG, "risk: an override until %lld, and it is %lld", (long long)until_utc_ns,
                       (long long)now.utc_ns);
    }
    if (change_id == 0 || override_of(r, change_id) != r->override_count) {
        return err_set(ERR_EXISTS, "risk: override %llu is no new number", (unsigned long long)change_id);
    }
    for (uint32_t i = 0; i < r->override_count; i++) {
        if (r->overrides[i].field == v->field && same_scope(&r->overrides[i], (scope_t)v->scope_type, v->id1, v->id2)) {
            return err_set(ERR_EXISTS, "risk: override %llu is of the same %s",
                           (unsigned long long)r->overrides[i].change_id, FIELDS[v->field].name);
        }
    }
    if (r->override_count == RISK_OVERRIDES_MAX) {
        return err_set(ERR_LIMIT, "risk: %u overrides at a time, no more", RISK_OVERRIDES_MAX);
    }
    r->overrides[r->override_count++] = (risk_override_t){.change_id    = change_id,
                                                          .value        = v->value,
                                                          .until_utc_ns = until_utc_ns,
                                                          .scope_id     = v->id1,
                                                          .scope_id2    = v->id2,
                                                          .asked_by     = by,
                                                          .field        = (uint16_t)v->field,
                                                          .scope_type   = (uint8_t)v->scope_type};
    return ERR_OK;
}

static risk_limit_value_t value_of(const risk_override_t *o)
{
    return (risk_limit_value_t){
        .scope_type = o->scope_type, .id1 = o->scope_id, .id2 = o->scope_id2, .field = o->field, .value = o->value};
}

err_t risk_override_approve(risk_t *r, uint64_t change_id, uint32_t by, now_t now)
{
    const uint32_t at = override_of(r, change_id);
    if (at == r->override_count) {
        return override_unknown(change_id);
    }
    risk_override_t         *o = &r->overrides[at];
    const risk_limit_value_t v = value_of(o);
    if (o->active || now.utc_ns >= o->until_utc_ns) {
        return err_set(ERR_STATE, "risk: override %llu is %s", (unsigned long long)change_id,
                       o->active ? "in force already" : "over");
    }
    if (o->asked_by == by) {
        return err_set(ERR_ARG, "risk: override %llu was asked for by user %u, another one must approve it",
                       (unsigned long long)change_id, by);
    }
    const err_t err = raised_check(r, &v, v.value);
    if (err != ERR_OK) {
        return err;
    }
    risk_limits_t limits;
    risk_limits_base(r, (scope_t)v.scope_type, v.id1, v.id2, &limits);
    o->active = 1;
    base_set(r, (scope_t)v.scope_type, v.id1, v.id2, &limits);
    r->limit_version++;
    return ERR_OK;
}

err_t risk_override_end(risk_t *r, uint64_t change_id)
{
    const uint32_t at = override_of(r, change_id);
    if (at == r->override_count) {
        return override_unknown(change_id);
    }
    const risk_override_t o = r->overrides[at];
    risk_limits_t         base;
    const bool            known     = risk_limits_base(r, (scope_t)o.scope_type, o.scope_id, o.scope_id2, &base);
    r->overrides[at]                = r->overrides[--r->override_count];
    r->overrides[r->override_count] = (risk_override_t){0};
    assert(known); /* what has no limits has no override either */
    if (o.active) {
        base_set(r, (scope_t)o.scope_type, o.scope_id, o.scope_id2, &base);
        r->limit_version++;
    }
    return ERR_OK;
}

uint64_t risk_override_due(const risk_t *r, now_t now)
{
    for (uint32_t i = 0; i < r->override_count; i++) {
        if (now.utc_ns >= r->overrides[i].until_utc_ns) {
            return r->overrides[i].change_id;
        }
    }
    return 0;
}

bool risk_override_at(const risk_t *r, uint32_t i, risk_override_state_t *out)
{
    if (i >= r->override_count) {
        return false;
    }
    const risk_override_t *o = &r->overrides[i];
    *out                     = (risk_override_state_t){.change_id    = o->change_id,
                                                       .raised       = value_of(o),
                                                       .base         = o->base,
                                                       .until_utc_ns = o->until_utc_ns,
                                                       .asked_by     = o->asked_by,
                                                       .active       = o->active};
    return true;
}

bool risk_override_find(const risk_t *r, uint64_t change_id, risk_override_state_t *out)
{
    return risk_override_at(r, override_of(r, change_id), out);
}
