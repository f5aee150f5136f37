/* risk_code: why an order was denied. The number is on the wire (verdict_t.code), in journals and in reports; it is
 * never reused and never renumbered. One table gives number, name and the unit of `observed` and `limit`.
 *
 * Source   RISK sheet, section 13. Codes whose check does not exist yet are here all the same: the number is taken. */
#pragma once

#include <stdint.h>

/* X(code, name, unit of observed and limit) */
/* clang-format off */
#define RISK_CODES(X) \
    X(  0, ACCEPTED,                   "")      \
    X(101, BAD_MESSAGE,                "field") \
    X(102, UNKNOWN_INSTRUMENT,         "id")    \
    X(103, UNKNOWN_ACCOUNT,            "id")    \
    X(104, BAD_SIDE_TYPE_OR_TIF,       "enum")  \
    X(105, QTY_NOT_POSITIVE,           "qty")   \
    X(106, PRICE_NOT_POSITIVE,         "px")    \
    X(107, QTY_NOT_ON_LOT,             "qty")   \
    X(108, PRICE_NOT_ON_TICK,          "px")    \
    X(109, QTY_BELOW_MIN,              "qty")   \
    X(110, NOTIONAL_BELOW_MIN,         "money") \
    X(111, ARITHMETIC_OVERFLOW,        "qty")   \
    X(112, BAD_CLIENT_ORDER_ID,        "id")    \
    X(113, DUPLICATE_CLIENT_ORDER_ID,  "id")    \
    X(114, REQUEST_TOO_OLD,            "ns")    \
    X(115, UNKNOWN_ORDER,              "id")    \
    X(116, ORDER_NOT_OPEN,             "enum")  \
    X(117, AMEND_BELOW_FILLED,         "qty")   \
    X(121, NOT_AUTHORISED,             "")      \
    X(122, WRONG_TENANT,               "id")    \
    X(123, INSTRUMENT_NOT_PERMITTED,   "id")    \
    X(124, INSTRUMENT_RESTRICTED,      "id")    \
    X(125, VENUE_NOT_PERMITTED,        "id")    \
    X(126, SHORT_NOT_PERMITTED,        "qty")   \
    X(127, ORDER_TYPE_NOT_PERMITTED,   "enum")  \
    X(128, STRATEGY_NOT_APPROVED,      "id")    \
    X(141, KILL_GLOBAL,                "")      \
    X(142, KILL_TENANT,                "")      \
    X(143, KILL_ACCOUNT,               "")      \
    X(144, KILL_STRATEGY,              "")      \
    X(145, KILL_VENUE,                 "")      \
    X(146, KILL_INSTRUMENT,            "")      \
    X(147, SESSION_CLOSED,             "enum")  \
    X(148, INSTRUMENT_HALTED,          "enum")  \
    X(149, CANCEL_ONLY,                "enum")  \
    X(150, REDUCE_ONLY,                "qty")   \
    X(151, RECOVERING,                 "")      \
    X(152, UNRECONCILED,               "")      \
    X(153, VENUE_DOWN,                 "")      \
    X(154, JOURNAL_DOWN,               "")      \
    X(155, LIMIT_MISSING,              "")      \
    X(156, CLOCK_UNTRUSTED,            "")      \
    X(157, TYPE_NOT_IN_PHASE,          "enum")  \
    X(158, RING_FULL,                  "count") \
    X(161, NO_REFERENCE_PRICE,         "")      \
    X(162, STALE_MARKET_DATA,          "ns")    \
    X(163, BOOK_INVALID,               "px")    \
    X(164, FEED_GAP,                   "")      \
    X(181, COLLAR_BUY,                 "px")    \
    X(182, COLLAR_SELL,                "px")    \
    X(183, FAR_FROM_MARKET,            "px")    \
    X(184, STATIC_BAND,                "px")    \
    X(185, VOLATILITY_PAUSE,           "px")    \
    X(199, INTERNAL,                   "")      \
    X(201, MAX_ORDER_QTY,              "qty")   \
    X(202, MAX_ORDER_VALUE,            "money") \
    X(203, MAX_PARTICIPATION,          "qty")   \
    X(221, MAX_LONG,                   "qty")   \
    X(222, MAX_SHORT,                  "qty")   \
    X(223, MAX_GROSS,                  "money") \
    X(224, MAX_NET,                    "money") \
    X(225, CONCENTRATION,              "money") \
    X(226, MAX_OPEN_ORDERS_INSTRUMENT, "count") \
    X(227, MAX_OPEN_ORDERS_ACCOUNT,    "count") \
    X(228, MAX_OPEN_VALUE,             "money") \
    X(229, CREDIT,                     "money") \
    X(230, MARGIN,                     "money") \
    X(231, MAX_TURNOVER,               "money") \
    X(251, DAY_LOSS,                   "money") \
    X(252, REALISED_LOSS,              "money") \
    X(253, DRAWDOWN,                   "money") \
    X(271, RATE_ORDERS,                "count") \
    X(272, RATE_MESSAGES,              "count") \
    X(273, RATE_VALUE,                 "money") \
    X(274, RATE_CANCELS,               "count") \
    X(275, ORDER_TO_TRADE,             "ratio") \
    X(276, REPEATED_EXECUTION,         "count") \
    X(277, DUPLICATE_ORDER,            "count") \
    X(278, VENUE_BUDGET,               "count") \
    X(279, REJECT_STORM,               "count") \
    X(291, SELF_TRADE,                 "px")
/* clang-format on */

typedef enum risk_code {
#define RISK_CODE_ENUM(code, name, unit) RISK_##name = (code),
    RISK_CODES(RISK_CODE_ENUM)
#undef RISK_CODE_ENUM
} risk_code_t;

/* risk_code_str: "MAX_LONG"; risk_code_unit: "qty". Static text; "?" and "" for a number that is no code. */
const char *risk_code_str(uint32_t code);
const char *risk_code_unit(uint32_t code);
