/* Alerts: alarms of one kind, code, account and instrument, folded into one line that stays until a named person has
 * acknowledged it. */
#include "core/engine/engine_private.h"

#define ALERT_BIT(kind) (1ull << (kind))

/* What somebody must act on at once: money or orders are not what we believe, or trading was stopped. */
#define CRITICAL_KINDS                                                                                                 \
    (ALERT_BIT(ALARM_FILL_AFTER_DONE) | ALERT_BIT(ALARM_UNKNOWN_ORDER_FILL) | ALERT_BIT(ALARM_SIDE_MISMATCH) |         \
     ALERT_BIT(ALARM_ALIEN_ORDER) | ALERT_BIT(ALARM_ACCOUNT_UNRECONCILED) | ALERT_BIT(ALARM_OVERFILL) |                \
     ALERT_BIT(ALARM_LOSS) | ALERT_BIT(ALARM_KILL) | ALERT_BIT(ALARM_REPEATED_EXECUTION) |                             \
     ALERT_BIT(ALARM_REJECT_STORM) | ALERT_BIT(ALARM_CASH))
#define INFO_KINDS (ALERT_BIT(ALARM_SOFT_LIMIT) | ALERT_BIT(ALARM_QUERY_SENT) | ALERT_BIT(ALARM_UNSOLICITED_CANCEL))

_Static_assert(ALARM_KIND_COUNT <= 64, "a kind is one bit of a word");

static uint8_t severity_of(uint16_t kind)
{
    const uint64_t bit = ALERT_BIT(kind & 63);
    return (bit & CRITICAL_KINDS) ? ALERT_CRITICAL : (bit & INFO_KINDS) ? ALERT_INFO : ALERT_WARN;
}

/* Is a to be given up before b? Acknowledged ones first, then what is less grave, then what is older. */
static bool sooner(const alert_t *a, const alert_t *b)
{
    if (a->state != b->state) {
        return a->state == ALERT_ACKED;
    }
    if (a->state == ALERT_OPEN && a->severity != b->severity) {
        return a->severity < b->severity;
    }
    return a->alert_id < b->alert_id;
}

static alert_t *room(engine_state_t *s)
{
    if (s->alert_count < ENGINE_ALERTS_MAX) {
        return &s->alerts[s->alert_count++];
    }
    alert_t *gone = &s->alerts[0];
    for (uint32_t i = 1; i < ENGINE_ALERTS_MAX; i++) {
        gone = sooner(&s->alerts[i], gone) ? &s->alerts[i] : gone;
    }
    s->alerts_lost += gone->state == ALERT_OPEN;
    return gone;
}

void alert_raise(engine_t *e, const alarm_t *alarm)
{
    engine_state_t *s  = e->s;
    alert_t        *at = NULL;
    for (uint32_t i = 0; i < s->alert_count && !at; i++) {
        alert_t *a = &s->alerts[i];
        if (a->state == ALERT_OPEN && a->kind == alarm->kind && a->code == alarm->code &&
            a->account_id == alarm->account_id && a->instrument_id == alarm->instrument_id) {
            at = a;
        }
    }
    const bool fresh = !at;
    if (fresh) {
        at  = room(s);
        *at = (alert_t){.alert_id      = ++s->alerts_raised,
                        .first_utc_ns  = alarm->engine_utc_ns,
                        .account_id    = alarm->account_id,
                        .instrument_id = alarm->instrument_id,
                        .kind          = alarm->kind,
                        .code          = alarm->code,
                        .state         = ALERT_OPEN,
                        .severity      = severity_of(alarm->kind)};
    }
    at->last_utc_ns = alarm->engine_utc_ns;
    at->observed    = alarm->observed;
    at->limit       = alarm->limit;
    at->cl_ord_id   = alarm->cl_ord_id;
    at->event_seq   = s->seq;
    at->count++;
    if (fresh) { /* its repetitions are ALARMs, and counted here */
        emit(e, MSG_ALERT, at);
    }
}

static void acknowledge(engine_t *e, alert_t *a, const operate_t *op)
{
    a->state      = ALERT_ACKED;
    a->user_id    = op->user_id;
    a->ack_utc_ns = e->now.utc_ns;
    a->event_seq  = e->s->seq;
    emit(e, MSG_ALERT, a);
    audit_emit(e, (audit_t){.kind      = AUDIT_ALERT,
                            .change_id = a->alert_id,
                            .old_value = ALERT_OPEN,
                            .new_value = ALERT_ACKED,
                            .field     = a->kind,
                            .user_id   = op->user_id,
                            .lane_id   = op->lane_id});
}

err_t alert_ack(engine_t *e, const operate_t *op)
{
    engine_state_t *s    = e->s;
    uint32_t        done = 0;
    for (uint32_t i = 0; i < s->alert_count; i++) {
        alert_t *a = &s->alerts[i];
        if (a->state == ALERT_OPEN && (op->target == 0 || op->target == a->alert_id)) {
            acknowledge(e, a, op);
            done++;
        }
    }
    return done || op->target == 0
               ? ERR_OK
               : err_set(ERR_NOT_FOUND, "engine: alert %llu is none that is open", (unsigned long long)op->target);
}

bool engine_alert_record(const engine_t *e, uint32_t i, alert_t *out)
{
    if (i >= e->s->alert_count) {
        return false;
    }
    *out = e->s->alerts[i];
    return true;
}

uint64_t engine_alerts_lost(const engine_t *e)
{
    return e->s->alerts_lost;
}
