/* Limit sets, changes of single fields, overrides: what is refused and changes nothing, what is in force, and since which
 * version. A random history of all of them against a model that keeps bases and overrides apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/risk/risk_private.h"
#include "core/types/hash.h"
#include "tests/lib/glue.h"
#include "tests/lib/seeded.h"

enum { ASKER = 1000, OTHER = 1001 };
#define UTC(s) ((now_t){.mono_ns = (s)*NS_PER_S, .utc_ns = (s)*NS_PER_S})

static const scope_t SCOPES[] = {SCOPE_GLOBAL,
                                 SCOPE_TENANT,
                                 SCOPE_ACCOUNT,
                                 SCOPE_STRATEGY,
                                 SCOPE_INSTRUMENT,
                                 SCOPE_VENUE,
                                 SCOPE_ACCOUNT_INSTRUMENT,
                                 SCOPE_STRATEGY_INSTRUMENT,
                                 SCOPE_TENANT_INSTRUMENT};
enum { SCOPE_KINDS = sizeof SCOPES / sizeof SCOPES[0] };

static void open_gate(glue_t *g)
{
    risk_cfg_t cfg;
    risk_cfg_default(&cfg);
    cfg.window_max = 64;
    glue_open(g, cfg, 8, 8);
    glue_account(g, 1);
    const instrument_def_t def = glue_def(1);
    glue_instrument(g, &def, 1);
}

static uint32_t id_of(scope_t scope)
{
    return scope == SCOPE_GLOBAL ? 0 : 1;
}

static int64_t field_of(const risk_limits_t *limits, uint32_t field)
{
    int64_t value;
    memcpy(&value, (const char *)limits + field * sizeof value, sizeof value);
    return value;
}

static void field_to(risk_limits_t *limits, uint32_t field, int64_t value)
{
    memcpy((char *)limits + field * sizeof value, &value, sizeof value);
}

static risk_limits_t defaults_small(scope_t scope)
{
    risk_limits_t l;
    risk_limits_default(scope, &l);
    for (uint32_t i = 0; i < RISK_FIELD_COUNT; i++) { /* 100 and more do not fit windows of 64 */
        if (risk_field(i)->max == RISK_WINDOW_MAX && field_of(&l, i) > 64) {
            field_to(&l, i, 64);
        }
    }
    return l;
}

static void test_limits_table(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < RISK_FIELD_COUNT; i++) {
        const risk_field_t *f = risk_field(i);
        assert_int_equal(risk_field_find(f->name), i);
        assert_string_equal(risk_field_name(i), f->name);
        assert_true(f->min <= f->fallback && f->fallback <= f->max);
        assert_true(f->scopes != 0);
        assert_string_not_equal(risk_code_str(f->code), "?");
    }
    assert_null(risk_field(RISK_FIELD_COUNT));
    assert_string_equal(risk_field_name(RISK_FIELD_COUNT), "");
    assert_int_equal(risk_field_find("no such field"), RISK_FIELD_COUNT);
    assert_int_equal(RISK_FIELD_max_qty, 0);
    assert_int_equal(RISK_FIELD_dup_w_ns, 25); /* numbers are for ever: LIMIT_SET has these 26 */
    assert_int_equal(RISK_FIELD_vol_bp, 26);
    assert_int_equal(RISK_FIELD_budget_bp, 41);
}

/* Each field of each scope: on its bounds, and one beyond; in scopes that do not have it, only 0. */
static void test_limits_bounds(void **state)
{
    (void)state;
    glue_t g;
    open_gate(&g);
    for (int s = 0; s < SCOPE_KINDS; s++) {
        const scope_t scope = SCOPES[s];
        for (uint32_t i = 0; i < RISK_FIELD_COUNT; i++) {
            const risk_field_t *f   = risk_field(i);
            const bool          has = f->scopes & 1U << scope;
            const int64_t       max = !has ? 0 : f->max == RISK_WINDOW_MAX ? 64 : f->max;
            const int64_t       min = has ? f->min : 0;
            risk_limits_t       l   = defaults_small(scope), got;
            int64_t             value;
            field_to(&l, i, max);
            l.rate_w_ns = has && i == RISK_FIELD_dup_w_ns ? RISK_DAY_NS : l.rate_w_ns; /* it bounds the other */
            const uint32_t version = risk_limit_version(g.risk);
            assert_int_equal(risk_limits_set(g.risk, scope, id_of(scope), 1, &l), ERR_OK);
            assert_int_equal(risk_limit_version(g.risk), version + 1);
            assert_true(risk_limits_get(g.risk, scope, id_of(scope), 1, &got));
            assert_memory_equal(&got, &l, sizeof l);
            assert_int_equal(risk_limit(g.risk, scope, id_of(scope), 1, i, &value), has);
            const uint64_t hash = risk_hash(1, g.risk);
            if (max < INT64_MAX) {
                field_to(&l, i, max + 1);
                assert_int_equal(risk_limits_set(g.risk, scope, id_of(scope), 1, &l), ERR_ARG);
            }
            field_to(&l, i, min - 1);
            assert_int_equal(risk_limits_set(g.risk, scope, id_of(scope), 1, &l), ERR_ARG);
            assert_int_equal(risk_hash(1, g.risk), hash);
        }
    }
    risk_limits_t l = defaults_small(SCOPE_ACCOUNT);
    l.dup_w_ns      = l.rate_w_ns;
    assert_int_equal(risk_limits_set(g.risk, SCOPE_ACCOUNT, 1, 0, &l), ERR_OK);
    l.dup_w_ns++;
    assert_int_equal(risk_limits_set(g.risk, SCOPE_ACCOUNT, 1, 0, &l), ERR_ARG);
    glue_close(&g);
}

static void test_limits_scopes(void **state)
{
    (void)state;
    glue_t g;
    open_gate(&g);
    static const struct {
        scope_t  scope;
        uint32_t id1, id2;
    } bad[] = {{SCOPE_NONE, 1, 0},
               {SCOPE_ACCOUNT_VENUE, 1, 1},
               {SCOPE_GLOBAL, 1, 0},
               {SCOPE_TENANT, 0, 0},
               {SCOPE_TENANT, 2, 0},
               {SCOPE_VENUE, 0, 0},
               {SCOPE_VENUE, 9, 0},
               {SCOPE_INSTRUMENT, 99, 0},
               {SCOPE_ACCOUNT, 99, 0},
               {SCOPE_STRATEGY, 65, 0},
               {SCOPE_ACCOUNT_INSTRUMENT, 1, 0},
               {SCOPE_ACCOUNT_INSTRUMENT, 99, 1},
               {SCOPE_STRATEGY_INSTRUMENT, 1, 99},
               {SCOPE_TENANT_INSTRUMENT, 1, 99}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        risk_limits_t l = {0}, got;
        int64_t       value;
        assert_int_equal(risk_limits_set(g.risk, bad[i].scope, bad[i].id1, bad[i].id2, &l), ERR_ARG);
        assert_false(risk_limits_known(g.risk, bad[i].scope, bad[i].id1, bad[i].id2));
        assert_false(risk_limits_get(g.risk, bad[i].scope, bad[i].id1, bad[i].id2, &got));
        assert_false(risk_limits_base(g.risk, bad[i].scope, bad[i].id1, bad[i].id2, &got));
        assert_false(risk_limit(g.risk, bad[i].scope, bad[i].id1, bad[i].id2, 0, &value));
    }
    for (int s = 0; s < SCOPE_KINDS; s++) {
        risk_limits_t l = defaults_small(SCOPES[s]), got;
        int64_t       value;
        assert_false(risk_limits_known(g.risk, SCOPES[s], id_of(SCOPES[s]), 2 - (s < 6)));
        assert_int_equal(risk_limits_set(g.risk, SCOPES[s], id_of(SCOPES[s]), 2 - (s < 6), &l), ERR_OK);
        assert_true(risk_limits_known(g.risk, SCOPES[s], id_of(SCOPES[s]), 2 - (s < 6)));
        assert_true(risk_limits_base(g.risk, SCOPES[s], id_of(SCOPES[s]), 2 - (s < 6), &got));
        assert_memory_equal(&got, &l, sizeof l);
        assert_false(risk_limit(g.risk, SCOPES[s], id_of(SCOPES[s]), 2 - (s < 6), RISK_FIELD_COUNT, &value));
    }
    glue_close(&g);
}

static void test_limits_looser(void **state)
{
    (void)state;
    assert_true(risk_limit_looser(RISK_FIELD_max_qty, 1, 2));
    assert_false(risk_limit_looser(RISK_FIELD_max_qty, 2, 2));
    assert_false(risk_limit_looser(RISK_FIELD_max_qty, 2, 1));
    static const uint32_t shorter[] = {RISK_FIELD_rate_w_ns,   RISK_FIELD_msg_w_ns,  RISK_FIELD_cancel_w_ns,
                                       RISK_FIELD_value_w_ns,  RISK_FIELD_dup_w_ns,  RISK_FIELD_rep_w_ns,
                                       RISK_FIELD_reject_w_ns, RISK_FIELD_margin_bp, RISK_FIELD_vol_pause_ns};
    for (size_t i = 0; i < sizeof shorter / sizeof shorter[0]; i++) {
        assert_true(risk_limit_looser(shorter[i], 2, 1));
        assert_false(risk_limit_looser(shorter[i], 2, 2));
        assert_false(risk_limit_looser(shorter[i], 1, 2));
    }
    assert_true(risk_limit_looser(RISK_FIELD_vol_w_ns, 1, 2));
    assert_true(risk_limit_looser(RISK_FIELD_vol_w_ns, 2, 1));
    assert_false(risk_limit_looser(RISK_FIELD_vol_w_ns, 2, 2));
}

static void test_limits_change(void **state)
{
    (void)state;
    glue_t  g;
    int64_t value;
    open_gate(&g);
    const risk_limit_value_t good[] = {
        {.scope_type = SCOPE_ACCOUNT, .id1 = 1, .field = RISK_FIELD_rate_n, .value = 7},
        {.scope_type = SCOPE_ACCOUNT, .id1 = 1, .field = RISK_FIELD_msg_n, .value = 8},
        {.scope_type = SCOPE_ACCOUNT, .id1 = 1, .field = RISK_FIELD_cancel_n, .value = 9},
        {.scope_type = SCOPE_ACCOUNT, .id1 = 2, .field = RISK_FIELD_rate_n, .value = 2},
        {.scope_type = SCOPE_ACCOUNT, .id1 = 2, .field = RISK_FIELD_msg_n, .value = 2},
        {.scope_type = SCOPE_ACCOUNT, .id1 = 2, .field = RISK_FIELD_cancel_n, .value = 2},
        {.scope_type = SCOPE_GLOBAL, .field = RISK_FIELD_max_credit, .value = 1000},
        {.scope_type = SCOPE_TENANT_INSTRUMENT, .id1 = 1, .id2 = 1, .field = RISK_FIELD_max_long, .value = 5},
        {.scope_type = SCOPE_TENANT_INSTRUMENT, .id1 = 1, .id2 = 2, .field = RISK_FIELD_max_long, .value = 4},
        {.scope_type = SCOPE_ACCOUNT, .id1 = 1, .field = RISK_FIELD_rate_n, .value = 6},
    };
    assert_int_equal(risk_limits_change(g.risk, good, 0), ERR_OK);
    assert_int_equal(risk_limit_version(g.risk), 0);
    if (risk_limits_change(g.risk, good, sizeof good / sizeof good[0]) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
    assert_int_equal(risk_limit_version(g.risk), 1);
    assert_true(risk_limit(g.risk, SCOPE_ACCOUNT, 1, 0, RISK_FIELD_rate_n, &value) && value == 6);
    assert_true(risk_limit(g.risk, SCOPE_ACCOUNT, 1, 0, RISK_FIELD_msg_n, &value) && value == 8);
    assert_true(risk_limit(g.risk, SCOPE_ACCOUNT, 1, 0, RISK_FIELD_max_open_orders, &value) && value == 500);
    assert_true(risk_limit(g.risk, SCOPE_ACCOUNT, 2, 0, RISK_FIELD_rate_n, &value) && value == 2);
    assert_true(risk_limit(g.risk, SCOPE_TENANT_INSTRUMENT, 1, 2, RISK_FIELD_max_long, &value) && value == 4);
    assert_int_equal(g.risk->max_credit, 1000);
    const uint64_t hash = risk_hash(1, g.risk);
    /* one that is wrong, wherever it stands, and nothing of the change is in force */
    static const risk_limit_value_t bad[] = {
        {.scope_type = SCOPE_ACCOUNT, .id1 = 99, .field = RISK_FIELD_rate_n},
        {.scope_type = SCOPE_COUNT, .id1 = 1},
        {.scope_type = SCOPE_ACCOUNT, .id1 = 1, .field = RISK_FIELD_COUNT},
        {.scope_type = SCOPE_ACCOUNT, .id1 = 1, .field = RISK_FIELD_collar_bp},
        {.scope_type = SCOPE_ACCOUNT, .id1 = 1, .field = RISK_FIELD_msg_n, .value = -1},
        {.scope_type = SCOPE_ACCOUNT, .id1 = 1, .field = RISK_FIELD_msg_n, .value = 65},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const risk_limit_value_t first[] = {good[0], bad[i]}, last[] = {bad[i], good[0]};
        assert_int_equal(risk_limits_change(g.risk, first, 2), ERR_ARG);
        assert_int_equal(risk_limits_change(g.risk, last, 2), ERR_ARG);
        assert_int_equal(risk_hash(1, g.risk), hash);
    }
    glue_close(&g);
}

static risk_limit_value_t at(scope_t scope, uint32_t field, int64_t value)
{
    return (risk_limit_value_t){.scope_type = scope, .id1 = 1, .field = field, .value = value};
}

static void test_override_life(void **state)
{
    (void)state;
    glue_t                g;
    int64_t               value;
    risk_limits_t         l = defaults_small(SCOPE_ACCOUNT), base;
    risk_override_state_t o;
    open_gate(&g);
    l.max_value                 = 100;
    const risk_limit_value_t up = at(SCOPE_ACCOUNT, RISK_FIELD_max_value, 150);
    assert_int_equal(risk_override_ask(g.risk, 5, &up, 20 * NS_PER_S, ASKER, UTC(10)), ERR_NOT_FOUND); /* no set yet */
    assert_int_equal(risk_limits_set(g.risk, SCOPE_ACCOUNT, 1, 0, &l), ERR_OK);
    assert_int_equal(risk_override_ask(g.risk, 5, &up, 20 * NS_PER_S, ASKER, UTC(10)), ERR_OK);
    const uint32_t version = risk_limit_version(g.risk);
    assert_true(risk_limit(g.risk, SCOPE_ACCOUNT, 1, 0, RISK_FIELD_max_value, &value) && value == 100);
    assert_int_equal(risk_override_approve(g.risk, 5, ASKER, UTC(11)), ERR_ARG); /* four eyes */
    assert_int_equal(risk_override_approve(g.risk, 6, OTHER, UTC(11)), ERR_NOT_FOUND);
    assert_int_equal(risk_override_approve(g.risk, 5, OTHER, UTC(20)), ERR_STATE); /* over */
    assert_int_equal(risk_override_approve(g.risk, 5, OTHER, UTC(19)), ERR_OK);
    assert_int_equal(risk_override_approve(g.risk, 5, OTHER, UTC(19)), ERR_STATE);
    assert_int_equal(risk_limit_version(g.risk), version + 1);
    assert_true(risk_limit(g.risk, SCOPE_ACCOUNT, 1, 0, RISK_FIELD_max_value, &value) && value == 150);
    assert_true(risk_limits_base(g.risk, SCOPE_ACCOUNT, 1, 0, &base) && base.max_value == 100);
    assert_true(risk_override_find(g.risk, 5, &o) && o.active && o.base == 100 && o.asked_by == ASKER);
    /* a lowered base waits behind it; one that is larger than the override is in force */
    const risk_limit_value_t lower = at(SCOPE_ACCOUNT, RISK_FIELD_max_value, 40);
    const risk_limit_value_t above = at(SCOPE_ACCOUNT, RISK_FIELD_max_value, 200);
    assert_int_equal(risk_limits_change(g.risk, &above, 1), ERR_OK);
    assert_true(risk_limit(g.risk, SCOPE_ACCOUNT, 1, 0, RISK_FIELD_max_value, &value) && value == 200);
    assert_int_equal(risk_limits_change(g.risk, &lower, 1), ERR_OK);
    assert_true(risk_limit(g.risk, SCOPE_ACCOUNT, 1, 0, RISK_FIELD_max_value, &value) && value == 150);
    assert_int_equal(risk_override_due(g.risk, UTC(19)), 0);
    glue_restart(&g);
    assert_int_equal(risk_override_due(g.risk, UTC(20)), 5);
    assert_int_equal(risk_override_end(g.risk, 5), ERR_OK);
    assert_int_equal(risk_override_end(g.risk, 5), ERR_NOT_FOUND);
    assert_false(risk_override_find(g.risk, 5, &o));
    assert_true(risk_limit(g.risk, SCOPE_ACCOUNT, 1, 0, RISK_FIELD_max_value, &value) && value == 40);
    glue_close(&g);
}

static void test_override_refused(void **state)
{
    (void)state;
    glue_t        g;
    risk_limits_t l = defaults_small(SCOPE_ACCOUNT), m = defaults_small(SCOPE_INSTRUMENT);
    open_gate(&g);
    l.max_value = 100;
    l.dup_w_ns  = l.rate_w_ns;
    assert_int_equal(risk_limits_set(g.risk, SCOPE_ACCOUNT, 1, 0, &l), ERR_OK);
    assert_int_equal(risk_limits_set(g.risk, SCOPE_ACCOUNT, 2, 0, &l), ERR_OK);
    assert_int_equal(risk_limits_set(g.risk, SCOPE_INSTRUMENT, 1, 0, &m), ERR_OK);
    const int64_t            until   = 20 * NS_PER_S;
    const now_t              now     = UTC(10);
    const risk_limit_value_t cases[] = {
        at(SCOPE_ACCOUNT, RISK_FIELD_max_value, 100),             /* raises nothing */
        at(SCOPE_ACCOUNT, RISK_FIELD_collar_bp, 1),               /* no field of it */
        at(SCOPE_ACCOUNT, RISK_FIELD_concentration_bp, BP + 1),   /* over its bound */
        at(SCOPE_ACCOUNT, RISK_FIELD_rate_w_ns, l.rate_w_ns - 1), /* shorter than dup_w_ns */
        at(SCOPE_INSTRUMENT, RISK_FIELD_vol_w_ns, 1000),          /* neither looser nor tighter */
        {.scope_type = SCOPE_ACCOUNT, .id1 = 99, .field = RISK_FIELD_max_value, .value = 200},
    };
    const uint64_t hash = risk_hash(1, g.risk);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(risk_override_ask(g.risk, 1, &cases[i], until, ASKER, now), ERR_ARG);
    }
    const risk_limit_value_t good = at(SCOPE_ACCOUNT, RISK_FIELD_max_value, 101);
    assert_int_equal(risk_override_ask(g.risk, 1, &good, now.utc_ns, ASKER, now), ERR_ARG);
    assert_int_equal(risk_override_ask(g.risk, 0, &good, until, ASKER, now), ERR_EXISTS);
    assert_int_equal(risk_hash(1, g.risk), hash);
    assert_int_equal(risk_override_ask(g.risk, 1, &good, until, ASKER, now), ERR_OK);
    assert_int_equal(risk_override_ask(g.risk, 1, &good, until, ASKER, now), ERR_EXISTS); /* the number */
    assert_int_equal(risk_override_ask(g.risk, 2, &good, until, ASKER, now), ERR_EXISTS); /* the field */
    risk_limit_value_t elsewhere = good;
    elsewhere.id1                = 2;
    assert_int_equal(risk_override_ask(g.risk, 2, &elsewhere, until, ASKER, now), ERR_OK);
    /* one whose field was raised above it meanwhile raises nothing any more */
    const risk_limit_value_t more = at(SCOPE_ACCOUNT, RISK_FIELD_max_value, 101);
    assert_int_equal(risk_limits_change(g.risk, &more, 1), ERR_OK);
    assert_int_equal(risk_override_approve(g.risk, 1, OTHER, now), ERR_ARG);
    assert_int_equal(risk_override_end(g.risk, 1), ERR_OK); /* it was only asked for */
    /* no more than there is room for */
    for (uint32_t i = 1; i < RISK_OVERRIDES_MAX; i++) {
        risk_limits_t set = defaults_small(SCOPE_STRATEGY);
        set.rate_n        = 1;
        assert_int_equal(risk_limits_set(g.risk, SCOPE_STRATEGY, i, 0, &set), ERR_OK);
        const risk_limit_value_t v = {.scope_type = SCOPE_STRATEGY, .id1 = i, .field = RISK_FIELD_rate_n, .value = 2};
        assert_int_equal(risk_override_ask(g.risk, 100 + i, &v, until, ASKER, now), ERR_OK);
    }
    const risk_limit_value_t one_more = at(SCOPE_STRATEGY, RISK_FIELD_msg_n, 65);
    const risk_limit_value_t fits     = at(SCOPE_STRATEGY, RISK_FIELD_otr_max, 200);
    assert_int_equal(risk_override_ask(g.risk, 99, &one_more, until, ASKER, now), ERR_ARG);
    assert_int_equal(risk_override_ask(g.risk, 99, &fits, until, ASKER, now), ERR_LIMIT);
    glue_close(&g);
}

/* A base that would be whole alone, but not with the override in it, is refused as well. */
static void test_override_keeps_whole(void **state)
{
    (void)state;
    glue_t        g;
    risk_limits_t l = defaults_small(SCOPE_ACCOUNT);
    open_gate(&g);
    assert_int_equal(risk_limits_set(g.risk, SCOPE_ACCOUNT, 1, 0, &l), ERR_OK); /* rate_w 1 s, dup_w 100 ms */
    const risk_limit_value_t tight = at(SCOPE_ACCOUNT, RISK_FIELD_rate_w_ns, 500 * NS_PER_MS);
    assert_int_equal(risk_override_ask(g.risk, 1, &tight, 20 * NS_PER_S, ASKER, UTC(1)), ERR_OK);
    assert_int_equal(risk_override_approve(g.risk, 1, OTHER, UTC(1)), ERR_OK);
    const risk_limit_value_t dup = at(SCOPE_ACCOUNT, RISK_FIELD_dup_w_ns, 800 * NS_PER_MS);
    assert_int_equal(risk_limits_change(g.risk, &dup, 1), ERR_ARG);
    assert_int_equal(risk_override_end(g.risk, 1), ERR_OK);
    assert_int_equal(risk_limits_change(g.risk, &dup, 1), ERR_OK);
    glue_close(&g);
}

/* An override is of its own pair and of no other. */
static void test_override_of_pair(void **state)
{
    (void)state;
    glue_t        g;
    risk_limits_t l = defaults_small(SCOPE_ACCOUNT_INSTRUMENT), got;
    open_gate(&g);
    l.max_long = 10;
    for (uint32_t id2 = 1; id2 <= 2; id2++) {
        assert_int_equal(risk_limits_set(g.risk, SCOPE_ACCOUNT_INSTRUMENT, 1, id2, &l), ERR_OK);
        assert_int_equal(risk_limits_set(g.risk, SCOPE_STRATEGY_INSTRUMENT, 1, id2,
                                         &(risk_limits_t){.max_long = 10, .max_short = 10}),
                         ERR_OK);
    }
    const risk_limit_value_t up = {
        .scope_type = SCOPE_ACCOUNT_INSTRUMENT, .id1 = 1, .id2 = 1, .field = RISK_FIELD_max_long, .value = 20};
    risk_limit_value_t other = up;
    assert_int_equal(risk_override_ask(g.risk, 1, &up, 20 * NS_PER_S, ASKER, UTC(1)), ERR_OK);
    other.id2 = 2; /* asked for as well, and not approved */
    assert_int_equal(risk_override_ask(g.risk, 2, &other, 20 * NS_PER_S, ASKER, UTC(1)), ERR_OK);
    assert_int_equal(risk_override_approve(g.risk, 1, OTHER, UTC(1)), ERR_OK);
    l.max_long = 5;
    assert_int_equal(risk_limits_set(g.risk, SCOPE_ACCOUNT_INSTRUMENT, 1, 2, &l), ERR_OK);
    assert_int_equal(risk_limits_set(g.risk, SCOPE_ACCOUNT_INSTRUMENT, 2, 1, &l), ERR_OK);
    assert_int_equal(
        risk_limits_set(g.risk, SCOPE_STRATEGY_INSTRUMENT, 1, 1, &(risk_limits_t){.max_long = 5, .max_short = 5}),
        ERR_OK);
    assert_true(risk_limits_get(g.risk, SCOPE_ACCOUNT_INSTRUMENT, 1, 2, &got) && got.max_long == 5);
    assert_true(risk_limits_base(g.risk, SCOPE_STRATEGY_INSTRUMENT, 1, 1, &got) && got.max_long == 5);
    assert_true(risk_limits_base(g.risk, SCOPE_ACCOUNT_INSTRUMENT, 1, 1, &got) && got.max_long == 10);
    assert_true(risk_limits_get(g.risk, SCOPE_ACCOUNT_INSTRUMENT, 1, 1, &got) && got.max_long == 20);
    glue_close(&g);
}

/* ---- random histories -------------------------------------------------------------------------------------------- */

enum { MODEL_FIELDS = 4, MODEL_OVERRIDES = 8 };
static const uint32_t WATCHED[MODEL_FIELDS] = {RISK_FIELD_max_value, RISK_FIELD_max_gross, RISK_FIELD_rate_n,
                                               RISK_FIELD_value_w_ns};

typedef struct model {
    int64_t base[MODEL_FIELDS];
    struct {
        int64_t  value, until;
        uint32_t field;
        int      state; /* 0 free, 1 asked, 2 active */
    } over[MODEL_OVERRIDES];
} model_t;

static int64_t model_in_force(const model_t *m, uint32_t f)
{
    int64_t value = m->base[f];
    for (int i = 0; i < MODEL_OVERRIDES; i++) {
        if (m->over[i].state == 2 && m->over[i].field == f) {
            const bool smaller = WATCHED[f] == RISK_FIELD_value_w_ns;
            value              = smaller ? min_i64(value, m->over[i].value) : max_i64(value, m->over[i].value);
        }
    }
    return value;
}

static void test_override_random(void **state)
{
    (void)state;
    uint64_t  rng   = seeded_seed("overrides");
    const int steps = (int)seeded_rounds(20000, 1000000);
    glue_t    g;
    model_t   m = {.base = {10, 10, 10, 10 * NS_PER_S}};
    open_gate(&g);
    risk_limits_t l = defaults_small(SCOPE_ACCOUNT);
    l.max_value = l.max_gross = l.rate_n = 10;
    l.value_w_ns                         = 10 * NS_PER_S;
    assert_int_equal(risk_limits_set(g.risk, SCOPE_ACCOUNT, 1, 0, &l), ERR_OK);
    for (int n = 0; n < steps; n++) {
        const now_t    now   = UTC(n);
        const uint32_t f     = (uint32_t)(seeded_next(&rng) % MODEL_FIELDS);
        const uint32_t slot  = (uint32_t)(seeded_next(&rng) % MODEL_OVERRIDES);
        const int64_t  value = WATCHED[f] == RISK_FIELD_value_w_ns ? (int64_t)(1 + seeded_next(&rng) % 20) * NS_PER_S
                                                                   : (int64_t)(seeded_next(&rng) % 60);
        const risk_limit_value_t v = at(SCOPE_ACCOUNT, WATCHED[f], value);
        switch (seeded_next(&rng) % 5) {
        case 0:
            assert_int_equal(risk_limits_change(g.risk, &v, 1), ERR_OK);
            m.base[f] = value;
            break;
        case 1: {
            bool free = m.over[slot].state == 0;
            for (int i = 0; i < MODEL_OVERRIDES; i++) {
                free &= m.over[i].state == 0 || m.over[i].field != f;
            }
            const bool raises =
                WATCHED[f] == RISK_FIELD_value_w_ns ? value < model_in_force(&m, f) : value > model_in_force(&m, f);
            const int64_t until = now.utc_ns + (int64_t)(1 + seeded_next(&rng) % 9) * NS_PER_S;
            const bool    taken = risk_override_ask(g.risk, slot + 1, &v, until, ASKER, now) == ERR_OK;
            assert_int_equal(taken, free && raises);
            if (taken) {
                m.over[slot].value = value;
                m.over[slot].until = until;
                m.over[slot].field = f;
                m.over[slot].state = 1;
            }
            break;
        }
        case 2: {
            const bool raises =
                m.over[slot].state == 1 &&
                risk_limit_looser(WATCHED[m.over[slot].field], m.base[m.over[slot].field], m.over[slot].value);
            const bool done = risk_override_approve(g.risk, slot + 1, OTHER, now) == ERR_OK;
            assert_int_equal(done, raises && now.utc_ns < m.over[slot].until);
            m.over[slot].state = done ? 2 : m.over[slot].state;
            break;
        }
        case 3:
            assert_int_equal(risk_override_end(g.risk, slot + 1) == ERR_OK, m.over[slot].state != 0);
            m.over[slot].state = 0;
            break;
        default:
            for (uint64_t id = risk_override_due(g.risk, now); id != 0; id = risk_override_due(g.risk, now)) {
                assert_true(m.over[id - 1].state != 0 && m.over[id - 1].until <= now.utc_ns);
                assert_int_equal(risk_override_end(g.risk, id), ERR_OK);
                m.over[id - 1].state = 0;
            }
        }
        for (uint32_t i = 0; i < MODEL_FIELDS; i++) {
            int64_t got;
            assert_true(risk_limit(g.risk, SCOPE_ACCOUNT, 1, 0, WATCHED[i], &got));
            assert_int_equal(got, model_in_force(&m, i));
            assert_true(risk_limits_base(g.risk, SCOPE_ACCOUNT, 1, 0, &l));
            assert_int_equal(field_of(&l, WATCHED[i]), m.base[i]);
        }
    }
    glue_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_table),     cmocka_unit_test(test_limits_bounds),
        cmocka_unit_test(test_limits_scopes),    cmocka_unit_test(test_limits_looser),
        cmocka_unit_test(test_limits_change),    cmocka_unit_test(test_override_life),
        cmocka_unit_test(test_override_refused), cmocka_unit_test(test_override_keeps_whole),
        cmocka_unit_test(test_override_of_pair), cmocka_unit_test(test_override_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
