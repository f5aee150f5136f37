/* order_answer: an order that a command sends, the verdict on it, and what became of it: as a table of FIX columns or as
 * JSON (docs/schema/order.schema.json).
 *
 * Threads  one. Errors: exit codes of tools/command.h; sentences on stderr. */
#pragma once

#include "core/ref/instrument.h"
#include "tools/config.h"
#include "tools/desk.h"
#include "tools/table.h"

#define ORDER_LEGS_MAX 16u
#define ORDER_WAIT_NONE (-1)

typedef struct order_answer {
    order_terms_req_t req;   /* as sent: cl_ord_id and list_id are filled in by sending */
    bool              terms; /* it travels as an ORDER_TERMS_REQUEST */
    bool              answered;
    verdict_t         verdict;
    bool              rejected; /* taken, and then rejected, by the venue or when what was held was to leave: */
    bool              denied;   /*   by risk */
    uint32_t          reject_code;
    record_id_t       at; /* where its order is published, once it was found */
    uint32_t          place;
    bool              found;
} order_answer_t;

/* order_instrument: by symbol or id; order_instrument_id: with tick bands, for exact numbers. ERR_NOT_FOUND, ERR_ARG. */
err_t order_instrument(desk_t *desk, const char *symbol, instrument_t *out);
err_t order_instrument_id(desk_t *desk, uint32_t instrument_id, instrument_t *out);

/* order_target: a REPLACE or CANCEL of the order cl_ord_id, filled in from its record. ERR_NOT_FOUND: no such order is
 * published. */
err_t order_target(desk_t *desk, uint64_t cl_ord_id, order_action_t action, order_answer_t *out);

/* order_send: as it is; what the library fills in stands in answer->req. */
hwal_err_t order_send(desk_t *desk, order_answer_t *answer);

/* order_verdict: the verdict on one id; others' are passed over. false: none came. */
bool order_verdict(desk_t *desk, uint64_t cl_ord_id, verdict_t *out);

/* order_await: verdicts of all, then, with wait_ns other than ORDER_WAIT_NONE, until none of them is open. EXIT_OK: all
 * accepted (waited for: NEW filled, CANCEL cancelled, REPLACE answered); EXIT_FINDING. */
int order_await(desk_t *desk, order_answer_t *answers, uint32_t count, int64_t wait_ns);

/* order_print: what is known of them now. */
void order_print(desk_t *desk, order_answer_t *answers, uint32_t count, bool json);

/* order_probe: would it pass now? A new reference, or NULL: hwal_error() says why. order_print_probes takes the rows over. */
json_t *order_probe(desk_t *desk, const order_terms_req_t *req, risk_check_resp_t *out);
void    order_print_probes(desk_t *desk, json_t *rows, bool json);
