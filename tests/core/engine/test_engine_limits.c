/* Limits and controls by persons: rights, whole changes, four eyes, ends by time, audits; kills by the gate itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/engine_world.h"

#define MS NS_PER_MS
enum { ANNA = 1000, BERT = 1001 };

static int setup(void **state)
{
    world_t *w = calloc(1, sizeof *w);
    world_open(w, 1, 2);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

static void rights(world_t *w, uint32_t lane_id, uint16_t what)
{
    lane_t lane = world_lane(w, lane_id, LANE_OPEN, LANE_KEEP);
    lane.rights = what;
    assert_int_equal(world_apply_body(w, MSG_LANE, &lane), ERR_OK);
}

static void lane_close(world_t *w, uint32_t lane_id)
{
    const lane_t lane = world_lane(w, lane_id, LANE_CLOSED, LANE_KEEP);
    assert_int_equal(world_apply_body(w, MSG_LANE, &lane), ERR_OK);
}

static err_t step(world_t *w, uint32_t lane_id, uint64_t change, limit_step_t what, uint32_t field, int64_t value)
{
    const limit_change_t c = {.change_id    = change,
                              .value        = value,
                              .until_utc_ns = w->now + w->utc_ahead + 10 * NS_PER_S,
                              .scope_id     = 1,
                              .user_id      = lane_id == 1   ? ANNA
                                              : lane_id == 2 ? BERT
                                                             : 0,
                              .lane_id      = lane_id,
                              .scope_type   = SCOPE_ACCOUNT,
                              .step         = (uint8_t)what,
                              .field        = (uint16_t)field};
    return world_apply_body(w, MSG_LIMIT_CHANGE, &c);
}

static int64_t limit_now(const world_t *w, uint32_t field)
{
    int64_t value = -1;
    assert_true(engine_limit(w->engine, SCOPE_ACCOUNT, 1, 0, field, &value));
    return value;
}

static uint32_t version(const world_t *w)
{
    return risk_limit_version(engine_risk(w->engine));
}

/* The newest input was refused as part of what was refused before. */
static void told_before(const world_t *w)
{
    assert_int_equal(world_out_count(w, MSG_AUDIT), 0);
}

/* The one AUDIT of the newest input. */
static audit_t audited(const world_t *w, audit_kind_t kind, uint16_t field)
{
    assert_int_equal(world_out_count(w, MSG_AUDIT), 1);
    const audit_t a = *(const audit_t *)world_out_first(w, MSG_AUDIT);
    assert_int_equal(a.kind, kind);
    assert_int_equal(a.field, field);
    assert_int_equal(a.version, version(w));
    return a;
}

static void test_limits_change_is_whole(void **state)
{
    world_t *w = *state;
    rights(w, 1, LANE_RIGHT_LIMITS);
    const uint32_t was  = version(w);
    const int64_t  rate = limit_now(w, RISK_FIELD_rate_n), open = limit_now(w, RISK_FIELD_max_open_orders);
    assert_int_equal(step(w, 1, 7, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    assert_int_equal(step(w, 1, 7, LIMIT_STEP_SET, RISK_FIELD_rate_n, 9), ERR_OK);
    assert_int_equal(step(w, 1, 7, LIMIT_STEP_SET, RISK_FIELD_max_open_orders, 8), ERR_OK);
    assert_int_equal(step(w, 1, 7, LIMIT_STEP_SET, RISK_FIELD_msg_n, limit_now(w, RISK_FIELD_msg_n)), ERR_OK);
    assert_int_equal(limit_now(w, RISK_FIELD_rate_n), rate); /* nothing before COMMIT */
    assert_int_equal(world_out_count(w, MSG_AUDIT), 0);
    assert_int_equal(step(w, 1, 7, LIMIT_STEP_COMMIT, 0, 0), ERR_OK);
    assert_int_equal(version(w), was + 1);
    assert_int_equal(limit_now(w, RISK_FIELD_rate_n), 9);
    assert_int_equal(limit_now(w, RISK_FIELD_max_open_orders), 8);
    assert_int_equal(world_out_count(w, MSG_AUDIT), 2); /* of what changed */
    const audit_t *a = world_out(w, MSG_AUDIT, 0), *b = world_out(w, MSG_AUDIT, 1);
    assert_int_equal(a->kind, AUDIT_LIMIT);
    assert_int_equal(a->field, RISK_FIELD_rate_n);
    assert_int_equal(a->old_value, rate);
    assert_int_equal(a->new_value, 9);
    assert_int_equal(a->user_id, ANNA);
    assert_int_equal(a->lane_id, 1);
    assert_int_equal(a->change_id, 7);
    assert_int_equal(a->version, was + 1);
    assert_int_equal(b->field, RISK_FIELD_max_open_orders);
    assert_int_equal(b->old_value, open);
    assert_int_equal(b->audit_seq, a->audit_seq + 1);
    /* it is over: once */
    assert_int_equal(step(w, 1, 7, LIMIT_STEP_COMMIT, 0, 0), ERR_STATE);
    audited(w, AUDIT_REFUSED, ERR_STATE);
    /* one bad value and nothing of it is in force */
    assert_int_equal(step(w, 1, 8, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    assert_int_equal(step(w, 1, 8, LIMIT_STEP_SET, RISK_FIELD_rate_n, 5), ERR_OK);
    assert_int_equal(step(w, 1, 8, LIMIT_STEP_SET, RISK_FIELD_max_value, -1), ERR_OK);
    assert_int_equal(step(w, 1, 8, LIMIT_STEP_COMMIT, 0, 0), ERR_ARG);
    assert_non_null(strstr(err_msg(), "max_value -1"));
    audited(w, AUDIT_REFUSED, ERR_ARG);
    assert_int_equal(limit_now(w, RISK_FIELD_rate_n), 9);
    assert_int_equal(version(w), was + 1);
    /* an empty one changes nothing, and no version */
    assert_int_equal(step(w, 1, 9, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    assert_int_equal(step(w, 1, 9, LIMIT_STEP_COMMIT, 0, 0), ERR_OK);
    assert_int_equal(version(w), was + 1);
    assert_int_equal(world_out_count(w, MSG_AUDIT), 0);
    /* nor does one that sets what is there */
    assert_int_equal(step(w, 1, 90, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    assert_int_equal(step(w, 1, 90, LIMIT_STEP_SET, RISK_FIELD_rate_n, 9), ERR_OK);
    assert_int_equal(step(w, 1, 90, LIMIT_STEP_COMMIT, 0, 0), ERR_OK);
    assert_int_equal(version(w), was + 1);
    assert_int_equal(world_out_count(w, MSG_AUDIT), 0);
    /* a field twice: neither of the values, and nothing beside them */
    assert_int_equal(step(w, 1, 100, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    assert_int_equal(step(w, 1, 100, LIMIT_STEP_SET, RISK_FIELD_max_open_orders, 5), ERR_OK);
    assert_int_equal(step(w, 1, 100, LIMIT_STEP_SET, RISK_FIELD_rate_n, 5), ERR_OK);
    assert_int_equal(step(w, 1, 100, LIMIT_STEP_SET, RISK_FIELD_max_open_orders, 6), ERR_EXISTS);
    audited(w, AUDIT_REFUSED, ERR_EXISTS);
    assert_int_equal(step(w, 1, 100, LIMIT_STEP_COMMIT, 0, 0), ERR_STATE);
    told_before(w);
    assert_int_equal(limit_now(w, RISK_FIELD_rate_n), 9);
    assert_int_equal(limit_now(w, RISK_FIELD_max_open_orders), 8);
    assert_int_equal(version(w), was + 1);
}

static void test_limits_changes_do_not_mix(void **state)
{
    world_t *w = *state;
    rights(w, 1, LANE_RIGHT_LIMITS);
    rights(w, 2, LANE_RIGHT_LIMITS);
    assert_int_equal(step(w, 1, 1, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    assert_int_equal(step(w, 2, 1, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    assert_int_equal(step(w, 1, 1, LIMIT_STEP_SET, RISK_FIELD_rate_n, 11), ERR_OK);
    assert_int_equal(step(w, 2, 1, LIMIT_STEP_SET, RISK_FIELD_msg_n, 12), ERR_OK);
    assert_int_equal(step(w, 2, 2, LIMIT_STEP_SET, RISK_FIELD_msg_n, 13), ERR_STATE); /* not its change */
    assert_int_equal(step(w, 1, 1, LIMIT_STEP_ABORT, 0, 0), ERR_OK);
    assert_int_equal(step(w, 1, 1, LIMIT_STEP_ABORT, 0, 0), ERR_STATE);
    assert_int_equal(step(w, 2, 1, LIMIT_STEP_COMMIT, 0, 0), ERR_OK);
    assert_int_equal(limit_now(w, RISK_FIELD_msg_n), 12);
    assert_int_not_equal(limit_now(w, RISK_FIELD_rate_n), 11);
    /* numbers rise */
    assert_int_equal(step(w, 2, 1, LIMIT_STEP_BEGIN, 0, 0), ERR_ARG);
    audited(w, AUDIT_REFUSED, ERR_ARG);
    assert_int_equal(step(w, 2, 0, LIMIT_STEP_BEGIN, 0, 0), ERR_ARG);
    /* a minute after it was begun a change is over */
    assert_int_equal(step(w, 1, 3, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    w->now += 60 * NS_PER_S - 1;
    assert_int_equal(step(w, 1, 3, LIMIT_STEP_SET, RISK_FIELD_rate_n, 10), ERR_OK);
    w->now += 1;
    assert_int_equal(step(w, 1, 3, LIMIT_STEP_COMMIT, 0, 0), ERR_STATE);
    /* and with the lane that began it */
    assert_int_equal(step(w, 1, 4, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    lane_close(w, 1);
    assert_int_equal(step(w, 1, 4, LIMIT_STEP_COMMIT, 0, 0), ERR_STATE);
    audited(w, AUDIT_REFUSED, RISK_NOT_AUTHORISED);
    rights(w, 1, LANE_RIGHT_LIMITS);
    assert_int_equal(step(w, 1, 4, LIMIT_STEP_COMMIT, 0, 0), ERR_STATE);
    told_before(w);
    /* more than fits is no half change */
    assert_int_equal(step(w, 1, 5, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(step(w, 1, 5, LIMIT_STEP_SET, (uint16_t)i, 1), ERR_OK);
    }
    assert_int_equal(step(w, 1, 5, LIMIT_STEP_SET, 64, 1), ERR_LIMIT);
    audited(w, AUDIT_REFUSED, ERR_LIMIT);
    assert_int_equal(step(w, 1, 5, LIMIT_STEP_COMMIT, 0, 0), ERR_STATE);
    told_before(w);
}

/* One refused change writes one AUDIT, whichever of its steps it was, and none of it comes into force afterwards. */
static void test_limits_refused_once(void **state)
{
    world_t *w = *state;
    rights(w, 1, LANE_RIGHT_CHECK);
    for (int again = 0; again < 2; again++) { /* a BEGIN is a change of its own, whatever its number */
        assert_int_equal(step(w, 1, 1, LIMIT_STEP_BEGIN, 0, 0), ERR_STATE);
        audited(w, AUDIT_REFUSED, RISK_NOT_AUTHORISED);
        assert_int_equal(step(w, 1, 1, LIMIT_STEP_SET, RISK_FIELD_rate_n, 9), ERR_STATE);
        told_before(w);
        assert_int_equal(step(w, 1, 1, LIMIT_STEP_COMMIT, 0, 0), ERR_STATE);
        told_before(w);
    }
    /* one step that had not the right: the rest of the change is refused with it */
    const int64_t was = limit_now(w, RISK_FIELD_rate_n);
    lane_close(w, 1);
    rights(w, 1, LANE_RIGHT_LIMITS);
    assert_int_equal(step(w, 1, 2, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    assert_int_equal(step(w, 1, 2, LIMIT_STEP_SET, RISK_FIELD_rate_n, was - 1), ERR_OK);
    assert_int_equal(step(w, 1, 2, LIMIT_STEP_SET, RISK_FIELD_rate_n, was - 2), ERR_EXISTS);
    audited(w, AUDIT_REFUSED, ERR_EXISTS);
    assert_int_equal(step(w, 1, 2, LIMIT_STEP_SET, RISK_FIELD_msg_n, 1), ERR_STATE);
    told_before(w);
    assert_int_equal(step(w, 1, 2, LIMIT_STEP_COMMIT, 0, 0), ERR_STATE);
    told_before(w);
    assert_int_equal(limit_now(w, RISK_FIELD_rate_n), was);
    /* a step of no change, or of another one than the lane has begun, leaves that as it is */
    assert_int_equal(step(w, 1, 3, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    assert_int_equal(step(w, 1, 9, LIMIT_STEP_COMMIT, 0, 0), ERR_STATE);
    audited(w, AUDIT_REFUSED, ERR_STATE);
    assert_int_equal(step(w, 1, 0, LIMIT_STEP_COMMIT, 0, 0), ERR_STATE);
    audited(w, AUDIT_REFUSED, ERR_STATE);
    assert_int_equal(step(w, 1, 3, LIMIT_STEP_SET, RISK_FIELD_rate_n, was - 1), ERR_OK);
    assert_int_equal(step(w, 1, 3, LIMIT_STEP_COMMIT, 0, 0), ERR_OK);
    assert_int_equal(limit_now(w, RISK_FIELD_rate_n), was - 1);
}

static void test_limits_rights(void **state)
{
    world_t *w = *state;
    rights(w, 1, LANE_RIGHT_CHECK | LANE_RIGHT_ORDER | LANE_RIGHT_APPROVE);
    rights(w, 2, LANE_RIGHT_LIMITS);
    for (limit_step_t s = LIMIT_STEP_BEGIN; s <= LIMIT_STEP_ASK; s++) {
        assert_int_equal(step(w, 1, (uint64_t)s, s, 0, 0), ERR_STATE);
        audited(w, AUDIT_REFUSED, RISK_NOT_AUTHORISED);
    }
    assert_int_equal(step(w, 2, 1, LIMIT_STEP_APPROVE, 0, 0), ERR_STATE);
    audited(w, AUDIT_REFUSED, RISK_NOT_AUTHORISED);
    for (limit_step_t s = LIMIT_STEP_ASK; s <= LIMIT_STEP_REVOKE; s++) { /* the configuration is no person */
        assert_int_equal(step(w, 0, 1, s, RISK_FIELD_rate_n, 200), ERR_STATE);
    }
    assert_int_equal(step(w, 3, 1, LIMIT_STEP_BEGIN, 0, 0), ERR_NOT_FOUND);
    assert_int_equal(step(w, 2, 1, LIMIT_STEP_NONE, 0, 0), ERR_ARG);
    assert_int_equal(step(w, 2, 1, LIMIT_STEP_GET, 0, 0), ERR_ARG);
    /* raising is a right of its own, and one raise refuses the whole change */
    assert_int_equal(step(w, 2, 1, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    assert_int_equal(step(w, 2, 1, LIMIT_STEP_SET, RISK_FIELD_rate_n, 3), ERR_OK);
    assert_int_equal(step(w, 2, 1, LIMIT_STEP_SET, RISK_FIELD_msg_n, limit_now(w, RISK_FIELD_msg_n) + 1), ERR_OK);
    assert_int_equal(step(w, 2, 1, LIMIT_STEP_COMMIT, 0, 0), ERR_STATE);
    audited(w, AUDIT_REFUSED, RISK_NOT_AUTHORISED);
    assert_int_not_equal(limit_now(w, RISK_FIELD_rate_n), 3);
    lane_close(w, 2);
    rights(w, 2, LANE_RIGHT_LIMITS | LANE_RIGHT_RAISE);
    assert_int_equal(step(w, 2, 2, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    assert_int_equal(step(w, 2, 2, LIMIT_STEP_SET, RISK_FIELD_msg_n, 300), ERR_OK);
    assert_int_equal(step(w, 2, 2, LIMIT_STEP_COMMIT, 0, 0), ERR_OK);
    assert_int_equal(limit_now(w, RISK_FIELD_msg_n), 300);
    /* the configuration may, in any order of numbers */
    for (uint64_t id = 9; id > 7; id--) {
        assert_int_equal(step(w, 0, id, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
        assert_int_equal(step(w, 0, id, LIMIT_STEP_SET, RISK_FIELD_msg_n, 400 + (int64_t)id), ERR_OK);
        assert_int_equal(step(w, 0, id, LIMIT_STEP_COMMIT, 0, 0), ERR_OK);
        assert_int_equal(limit_now(w, RISK_FIELD_msg_n), 400 + (int64_t)id);
    }
    /* a limit that is no field at all is refused, and what it was is no fault */
    assert_int_equal(step(w, 2, 3, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    assert_int_equal(step(w, 2, 3, LIMIT_STEP_SET, 999, 1), ERR_OK);
    assert_int_equal(step(w, 2, 3, LIMIT_STEP_COMMIT, 0, 0), ERR_ARG);
}

/* What was set in the life is state: a copy goes on with it, and a LIMIT_SET leaves the fields that it does not say. */
static void test_limits_last(void **state)
{
    world_t      *w = *state, copy;
    risk_limits_t l;
    assert_int_equal(step(w, 0, 1, LIMIT_STEP_BEGIN, 0, 0), ERR_OK);
    assert_int_equal(step(w, 0, 1, LIMIT_STEP_SET, RISK_FIELD_max_turnover, 12345), ERR_OK);
    world_copy(&copy, w);
    assert_int_equal(step(&copy, 0, 1, LIMIT_STEP_COMMIT, 0, 0), ERR_OK);
    assert_int_equal(step(w, 0, 1, LIMIT_STEP_COMMIT, 0, 0), ERR_OK);
    assert_int_equal(engine_state_hash(w->engine), engine_state_hash(copy.engine));
    assert_true(risk_limits_get(engine_risk(w->engine), SCOPE_ACCOUNT, 1, 0, &l));
    l.rate_n = 5;
    world_limits(&copy, SCOPE_ACCOUNT, 1, 0, &l);
    assert_int_equal(limit_now(&copy, RISK_FIELD_max_turnover), 12345);
    assert_int_equal(limit_now(&copy, RISK_FIELD_rate_n), 5);
    world_close(&copy);
}

static void test_override(void **state)
{
    world_t *w = *state;
    rights(w, 1, LANE_RIGHT_LIMITS | LANE_RIGHT_APPROVE);
    rights(w, 2, LANE_RIGHT_LIMITS | LANE_RIGHT_APPROVE);
    const int64_t base = limit_now(w, RISK_FIELD_rate_n);
    assert_int_equal(step(w, 1, 5, LIMIT_STEP_ASK, RISK_FIELD_rate_n, base), ERR_ARG);
    audited(w, AUDIT_REFUSED, ERR_ARG);
    assert_int_equal(step(w, 1, 5, LIMIT_STEP_ASK, RISK_FIELD_rate_n, base + 50), ERR_OK);
    audit_t a = audited(w, AUDIT_OVERRIDE_ASKED, RISK_FIELD_rate_n);
    assert_int_equal(a.old_value, base);
    assert_int_equal(a.new_value, base + 50);
    assert_int_equal(limit_now(w, RISK_FIELD_rate_n), base);
    assert_int_equal(step(w, 1, 5, LIMIT_STEP_APPROVE, 0, 0), ERR_ARG); /* the same person */
    audited(w, AUDIT_REFUSED, ERR_ARG);
    assert_int_equal(step(w, 2, 5, LIMIT_STEP_APPROVE, 0, 0), ERR_OK);
    a = audited(w, AUDIT_OVERRIDE_APPROVED, RISK_FIELD_rate_n);
    assert_int_equal(a.user_id, BERT);
    assert_int_equal(a.old_value, base);
    assert_int_equal(a.new_value, base + 50);
    assert_int_equal(limit_now(w, RISK_FIELD_rate_n), base + 50);
    world_tick(w, 10 * NS_PER_S - 1);
    assert_int_equal(world_out_count(w, MSG_AUDIT), 0);
    assert_int_equal(limit_now(w, RISK_FIELD_rate_n), base + 50);
    world_tick(w, 1); /* its end gives the base back */
    a = audited(w, AUDIT_OVERRIDE_ENDED, RISK_FIELD_rate_n);
    assert_int_equal(a.old_value, base + 50);
    assert_int_equal(a.new_value, base);
    assert_int_equal(limit_now(w, RISK_FIELD_rate_n), base);
    /* one that is taken back, and one that nobody approved */
    assert_int_equal(step(w, 1, 6, LIMIT_STEP_ASK, RISK_FIELD_rate_n, base + 1), ERR_OK);
    assert_int_equal(step(w, 2, 6, LIMIT_STEP_APPROVE, 0, 0), ERR_OK);
    assert_int_equal(step(w, 1, 6, LIMIT_STEP_REVOKE, 0, 0), ERR_OK);
    audited(w, AUDIT_OVERRIDE_ENDED, RISK_FIELD_rate_n);
    assert_int_equal(limit_now(w, RISK_FIELD_rate_n), base);
    assert_int_equal(step(w, 1, 6, LIMIT_STEP_REVOKE, 0, 0), ERR_NOT_FOUND);
    assert_int_equal(step(w, 1, 7, LIMIT_STEP_ASK, RISK_FIELD_rate_n, base + 1), ERR_OK);
    world_tick(w, 11 * NS_PER_S);
    audited(w, AUDIT_OVERRIDE_ENDED, RISK_FIELD_rate_n);
    assert_int_equal(limit_now(w, RISK_FIELD_rate_n), base);
}

/* ---- OPERATE ----------------------------------------------------------------------------------------------------- */

static err_t operate(world_t *w, uint32_t lane_id, control_kind_t kind, scope_t scope, uint32_t id, int64_t value)
{
    const operate_t op = {.value      = value,
                          .scope_id   = id,
                          .user_id    = ANNA,
                          .lane_id    = lane_id,
                          .kind       = (uint8_t)kind,
                          .scope_type = (uint8_t)scope};
    return world_apply_body(w, MSG_OPERATE, &op);
}

static void test_operate(void **state)
{
    world_t *w = *state;
    rights(w, 1, LANE_RIGHT_LIMITS);
    assert_int_equal(operate(w, 1, CONTROL_KILL, SCOPE_ACCOUNT, 1, 1), ERR_STATE);
    audited(w, AUDIT_REFUSED, RISK_NOT_AUTHORISED);
    assert_int_equal(operate(w, 9, CONTROL_KILL, SCOPE_ACCOUNT, 1, 1), ERR_STATE);
    assert_int_equal(risk_account_code(engine_risk(w->engine), 1), 0);
    rights(w, 2, LANE_RIGHT_OPERATE);
    assert_int_equal(operate(w, 2, CONTROL_KILL, SCOPE_ACCOUNT, 1, 1), ERR_OK);
    const audit_t a = audited(w, AUDIT_CONTROL, CONTROL_KILL);
    assert_int_equal(a.user_id, ANNA);
    assert_int_equal(a.lane_id, 2);
    assert_int_equal(a.scope_id, 1);
    assert_int_equal(a.new_value, 1);
    assert_int_equal(risk_account_code(engine_risk(w->engine), 1), RISK_KILL_ACCOUNT);
    assert_int_equal(operate(w, 2, CONTROL_KILL, SCOPE_ACCOUNT, 1, 0), ERR_OK);
    assert_int_equal(risk_account_code(engine_risk(w->engine), 1), 0);
    assert_int_equal(operate(w, 2, CONTROL_KILL, SCOPE_ACCOUNT, 99, 1), ERR_ARG);
    audited(w, AUDIT_REFUSED, ERR_ARG);
    assert_int_equal(operate(w, 2, CONTROL_ALERT_ACK, SCOPE_NONE, 0, 0), ERR_OK); /* none is open: all are seen */
    const operate_t none = {.target = 77, .user_id = ANNA, .lane_id = 2, .kind = CONTROL_ALERT_ACK};
    assert_int_equal(world_apply_body(w, MSG_OPERATE, &none), ERR_NOT_FOUND);
    audited(w, AUDIT_REFUSED, ERR_NOT_FOUND);
    assert_int_equal(operate(w, 2, CONTROL_SETTLE, SCOPE_VENUE, 1, 0), ERR_ARG);
    assert_int_equal(operate(w, 2, CONTROL_SETTLE, SCOPE_ACCOUNT, 3, 0), ERR_NOT_FOUND);
    assert_int_equal(operate(w, 2, CONTROL_SETTLE, SCOPE_ACCOUNT, 0, 0), ERR_NOT_FOUND);
}

/* The venue's answer to the newest question: it counts qty of X in account 1. */
static void told(world_t *w, int64_t qty)
{
    for (uint32_t n = 0;; n++) {
        const mass_status_req_t *q = world_out(w, MSG_MASS_STATUS_REQUEST, n);
        assert_non_null(q);
        if (q->account_id == 1) {
            mass_status_t m   = {.request_id    = q->request_id,
                                 .qty           = qty,
                                 .account_id    = 1,
                                 .instrument_id = 1,
                                 .venue_id      = 1,
                                 .kind          = MASS_STATUS_POSITION};
            mass_status_t end = m;
            end.kind          = MASS_STATUS_END;
            end.instrument_id = 0;
            assert_int_equal(world_apply_body(w, MSG_MASS_STATUS, &m), ERR_OK);
            assert_int_equal(world_apply_body(w, MSG_MASS_STATUS, &end), ERR_OK);
            return;
        }
    }
}

static void test_operate_settles(void **state)
{
    world_t        *w = *state;
    position_t      p;
    risk_exposure_t e;
    rights(w, 2, LANE_RIGHT_OPERATE);
    for (int side = 0; side < 2; side++) {
        const int64_t theirs = side ? -4 : 5;
        world_control(w, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 1);
        told(w, theirs);
        assert_int_equal(risk_account_code(engine_risk(w->engine), 1), RISK_UNRECONCILED);
        if (side == 0) { /* no price to settle at yet */
            assert_int_equal(operate(w, 2, CONTROL_SETTLE, SCOPE_ACCOUNT, 1, 0), ERR_STATE);
            audited(w, AUDIT_REFUSED, ERR_STATE);
            world_book(w, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST, 9990, 10010);
        }
        assert_int_equal(operate(w, 2, CONTROL_SETTLE, SCOPE_ACCOUNT, 1, 0), ERR_OK);
        audited(w, AUDIT_CONTROL, CONTROL_SETTLE);
        assert_int_equal(world_out_count(w, MSG_POSITION), 1);
        assert_int_equal(risk_account_code(engine_risk(w->engine), 1), 0);
        assert_true(risk_exposure(engine_risk(w->engine), 1, 1, &e));
        assert_int_equal(e.pos, theirs);
        assert_true(portfolio_position(engine_portfolio(w->engine), 1, 1, &p));
        assert_int_equal(p.qty, theirs);
    }
}

/* ---- what the gate does by itself -------------------------------------------------------------------------------- */

static void test_storm_kills(void **state)
{
    world_t        *w = *state;
    const alarm_t  *alarm;
    const operate_t enable = {
        .value = 1, .scope_id = WORLD_ORIGIN, .kind = CONTROL_ENABLE, .scope_type = SCOPE_STRATEGY};
    world_book(w, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), 0);
    const exec_report_t ack = world_report(w, w->id, EXEC_TYPE_NEW);
    assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &ack), ERR_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 0}), RISK_QTY_NOT_POSITIVE);
    }
    assert_int_equal(world_out_count(w, MSG_ALARM), 0);
    const order_req_t last = {.cl_ord_id       = cl_ord_id_make(engine_epoch(w->engine), WORLD_ORIGIN, ++w->id),
                              .tenant_id       = 1,
                              .account_id      = 1,
                              .strategy_id     = WORLD_ORIGIN,
                              .instrument_id   = 1,
                              .px              = 9990,
                              .created_mono_ns = w->now,
                              .action          = ORDER_ACTION_NEW,
                              .side            = SIDE_BUY,
                              .ord_type        = ORD_TYPE_LIMIT,
                              .tif             = TIF_GTC};
    assert_int_equal(world_apply_body(w, MSG_ORDER_REQUEST, &last), ERR_OK);
    alarm = world_out_first(w, MSG_ALARM);
    assert_non_null(alarm);
    assert_int_equal(alarm->kind, ALARM_REJECT_STORM);
    assert_int_equal(alarm->code, RISK_REJECT_STORM);
    assert_int_equal(alarm->observed, 101);
    const order_req_t *cancel = world_out_first(w, MSG_ORDER_REQUEST); /* its open order, with the same input */
    assert_non_null(cancel);
    assert_int_equal(cancel->action, ORDER_ACTION_CANCEL);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_KILL_STRATEGY);
    world_control(w, CONTROL_KILL, SCOPE_STRATEGY, WORLD_ORIGIN, 0); /* lifts a named kill, and not this one */
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_KILL_STRATEGY);
    assert_int_equal(world_apply_body(w, MSG_OPERATE, &enable), ERR_OK);
    w->now += NS_PER_S;
    world_book(w, BOOK_FLAG_LAST | BOOK_FLAG_FIRST, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), 0);
}

static void test_repeats_kill(void **state)
{
    world_t *w = *state;
    world_book(w, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST, 9990, 10010);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 100}), 0);
    for (int i = 0; i < 51; i++) {
        const exec_report_t fill = world_fill(w, w->id, SIDE_BUY, 9990, 1);
        assert_int_equal(world_apply_body(w, MSG_EXEC_REPORT, &fill), ERR_OK);
        assert_int_equal(risk_strategy_killed(engine_risk(w->engine), WORLD_ORIGIN), i == 50);
    }
    const alarm_t *alarm = world_out_first(w, MSG_ALARM);
    assert_non_null(alarm);
    assert_int_equal(alarm->kind, ALARM_REPEATED_EXECUTION);
    assert_int_equal(alarm->code, RISK_REPEATED_EXECUTION);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), RISK_KILL_STRATEGY);
}

static void test_volatility_pauses(void **state)
{
    world_t *w = *state;
    w->now += 100 * NS_PER_S;
    world_book(w, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST, 9990, 10010);
    w->now += 62 * NS_PER_S;
    world_book(w, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST, 10540, 10560);
    const alarm_t *alarm = world_out_first(w, MSG_ALARM);
    for (uint32_t n = 0; alarm && alarm->kind != ALARM_VOLATILITY_PAUSE; n++) {
        alarm = world_out(w, MSG_ALARM, n);
    }
    assert_non_null(alarm);
    assert_int_equal(alarm->observed, 10550);
    assert_int_equal(alarm->limit, 10500);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 10540, .qty = 1}), RISK_VOLATILITY_PAUSE);
    w->now += 30 * NS_PER_S;
    world_book(w, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST, 10000, 10020);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 10000, .qty = 1}), 0);
}

static void test_budget(void **state)
{
    world_t             *w = *state;
    const venue_budget_t b = {.used = 79, .limit = 100, .w_ns = 60 * NS_PER_S, .venue_id = 1}, bad = {.venue_id = 99};
    world_book(w, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST, 9990, 10010);
    assert_int_equal(world_apply_body(w, MSG_VENUE_BUDGET, &bad), ERR_ARG);
    assert_int_equal(world_apply_body(w, MSG_VENUE_BUDGET, &b), ERR_OK);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9990, .qty = 1}), 0);
    assert_int_equal(world_order(w, (order_req_t){.side = SIDE_BUY, .px = 9989, .qty = 1}), RISK_VENUE_BUDGET);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_limits_change_is_whole),
        TEST(test_limits_changes_do_not_mix),
        TEST(test_limits_refused_once),
        TEST(test_limits_rights),
        TEST(test_limits_last),
        TEST(test_override),
        TEST(test_operate),
        TEST(test_operate_settles),
        TEST(test_storm_kills),
        TEST(test_repeats_kill),
        TEST(test_volatility_pauses),
        TEST(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
