#include "core/types/msg.h"

static const struct {
    const char *name;
    size_t      size;
} msg_types[MSG_TYPE_COUNT] = {
    [MSG_NONE]                 = {"NONE", 0},
    [MSG_INSTRUMENT_DEF]       = {"INSTRUMENT_DEF", sizeof(instrument_def_t)},
    [MSG_BOOK_UPDATE]          = {"BOOK_UPDATE", sizeof(book_update_t)},
    [MSG_TRADE]                = {"TRADE", sizeof(trade_t)},
    [MSG_TOP]                  = {"TOP", sizeof(top_t)},
    [MSG_ORDER_REQUEST]        = {"ORDER_REQUEST", sizeof(order_req_t)},
    [MSG_EXEC_REPORT]          = {"EXEC_REPORT", sizeof(exec_report_t)},
    [MSG_VERDICT]              = {"VERDICT", sizeof(verdict_t)},
    [MSG_POSITION]             = {"POSITION", sizeof(position_t)},
    [MSG_TICK]                 = {"TICK", sizeof(tick_t)},
    [MSG_FEED_STATE]           = {"FEED_STATE", sizeof(feed_state_t)},
    [MSG_CONTROL]              = {"CONTROL", sizeof(control_t)},
    [MSG_ALARM]                = {"ALARM", sizeof(alarm_t)},
    [MSG_BOOT]                 = {"BOOT", sizeof(boot_t)},
    [MSG_ACCOUNT_DEF]          = {"ACCOUNT_DEF", sizeof(account_def_t)},
    [MSG_LIMIT_SET]            = {"LIMIT_SET", sizeof(limit_set_t)},
    [MSG_ORDER_STATUS_REQUEST] = {"ORDER_STATUS_REQUEST", sizeof(order_status_req_t)},
    [MSG_MASS_STATUS_REQUEST]  = {"MASS_STATUS_REQUEST", sizeof(mass_status_req_t)},
    [MSG_MASS_STATUS]          = {"MASS_STATUS", sizeof(mass_status_t)},
    [MSG_SNAPSHOT_REQUEST]     = {"SNAPSHOT_REQUEST", sizeof(snapshot_req_t)},
    [MSG_ORDER]                = {"ORDER", sizeof(order_record_t)},
    [MSG_ACCOUNT]              = {"ACCOUNT", sizeof(account_record_t)},
    [MSG_LOG]                  = {"LOG", sizeof(log_record_t)},
    [MSG_LANE]                 = {"LANE", sizeof(lane_t)},
    [MSG_RISK_CHECK_REQUEST]   = {"RISK_CHECK_REQUEST", sizeof(risk_check_req_t)},
    [MSG_RISK_CHECK_RESPONSE]  = {"RISK_CHECK_RESPONSE", sizeof(risk_check_resp_t)},
    [MSG_MBO_UPDATE]           = {"MBO_UPDATE", sizeof(mbo_update_t)},
    [MSG_STATISTICS]           = {"STATISTICS", sizeof(statistics_t)},
    [MSG_ORDER_TERMS_REQUEST]  = {"ORDER_TERMS_REQUEST", sizeof(order_terms_req_t)},
    [MSG_HELD_ORDER]           = {"HELD_ORDER", sizeof(held_record_t)},
    [MSG_MASS_CANCEL]          = {"MASS_CANCEL", sizeof(mass_cancel_t)},
    [MSG_VENUE_DEF]            = {"VENUE_DEF", sizeof(venue_def_t)},
    [MSG_VENUE_BUDGET]         = {"VENUE_BUDGET", sizeof(venue_budget_t)},
    [MSG_FX_RATE]              = {"FX_RATE", sizeof(fx_rate_t)},
    [MSG_CASH_MOVE]            = {"CASH_MOVE", sizeof(cash_move_t)},
    [MSG_MISC_FEE]             = {"MISC_FEE", sizeof(misc_fee_t)},
    [MSG_FEE_SCHEDULE]         = {"FEE_SCHEDULE", sizeof(fee_schedule_t)},
    [MSG_BALANCE]              = {"BALANCE", sizeof(balance_t)},
    [MSG_SUB_POSITION]         = {"SUB_POSITION", sizeof(sub_position_t)},
    [MSG_LIMIT_CHANGE]         = {"LIMIT_CHANGE", sizeof(limit_change_t)},
    [MSG_AUDIT]                = {"AUDIT", sizeof(audit_t)},
    [MSG_ALERT]                = {"ALERT", sizeof(alert_t)},
    [MSG_OPERATE]              = {"OPERATE", sizeof(operate_t)},
    [MSG_SIZE_REQUEST]         = {"SIZE_REQUEST", sizeof(size_req_t)},
    [MSG_SIZE_RESPONSE]        = {"SIZE_RESPONSE", sizeof(size_resp_t)},
};

const char *msg_type_str(msg_type_t type)
{
    return (unsigned)type < MSG_TYPE_COUNT ? msg_types[type].name : "UNKNOWN";
}

size_t msg_body_size(msg_type_t type)
{
    return (unsigned)type < MSG_TYPE_COUNT ? msg_types[type].size : 0;
}

const char *feed_health_str(feed_health_t health)
{
    static const char *const names[] = {"NONE", "LIVE", "STALE", "BROKEN", "RECOVERING"};
    return (unsigned)health <= FEED_RECOVERING ? names[health] : "UNKNOWN";
}

const char *feed_reason_str(feed_reason_t reason)
{
    static const char *const names[FEED_REASON_COUNT] = {"NONE", "START",   "GAP",   "GARBLED", "SCALE",
                                                         "LOST", "CROSSED", "LIMIT", "AGE"};
    return (unsigned)reason < FEED_REASON_COUNT ? names[reason] : "UNKNOWN";
}

const char *alarm_kind_str(alarm_kind_t kind)
{
    static const char *const names[ALARM_KIND_COUNT] = {"NONE",
                                                        "FILL_AFTER_DONE",
                                                        "UNKNOWN_ORDER_FILL",
                                                        "SIDE_MISMATCH",
                                                        "FILL_GAP",
                                                        "QUERY_SENT",
                                                        "CUM_BACKWARDS",
                                                        "BAD_FILL",
                                                        "BAD_FILL_PRICE",
                                                        "WORSE_THAN_LIMIT",
                                                        "BUST",
                                                        "UNKNOWN_EXEC",
                                                        "UNSOLICITED_CANCEL",
                                                        "ALIEN_ORDER",
                                                        "ACCOUNT_UNRECONCILED",
                                                        "OVERFILL",
                                                        "FEED",
                                                        "SOFT_LIMIT",
                                                        "LOSS",
                                                        "LIMIT",
                                                        "KILL",
                                                        "VOLATILITY_PAUSE",
                                                        "REPEATED_EXECUTION",
                                                        "REJECT_STORM",
                                                        "ORDER_AGE",
                                                        "CASH",
                                                        "FX",
                                                        "HELD",
                                                        "LIST"};
    return (unsigned)kind < ALARM_KIND_COUNT ? names[kind] : "UNKNOWN";
}

const char *lane_reason_str(lane_reason_t reason)
{
    static const char *const names[LANE_REASON_COUNT] = {"NONE",    "RELEASED", "DEAD",    "RSP_FULL",
                                                         "DAMAGED", "MISUSED",  "RESTART", "STOP"};
    return (unsigned)reason < LANE_REASON_COUNT ? names[reason] : "UNKNOWN";
}
