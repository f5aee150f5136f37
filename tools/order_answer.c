#include "tools/order_answer.h"

#include <inttypes.h>
#include <string.h>

#include "core/risk/risk_code.h"
#include "core/types/decimal.h"
#include "ipc/role.h"
#include "tools/command.h"
#include "tools/describe.h"
#include "tools/limit_text.h"
#include "tools/views.h"

#define LOOK_NS (20 * NS_PER_MS)

/* ---- what there is ------------------------------------------------------------------------------------------------------ */
err_t order_instrument_id(desk_t *d, uint32_t id, instrument_t *out)
{
    records_reader_t reader;
    attach_message_t m;
    if (!attach_records(d->a, RECORD_ID_INSTRUMENTS, &reader) || id == 0 || id > reader.count ||
        attach_record(d->a, &reader, id - 1, &m) != ERR_OK || m.msg.type != MSG_INSTRUMENT_DEF) {
        return err_set(ERR_NOT_FOUND, "instrument %u: no such one", id);
    }
    return instrument_init(out, m.msg.body, m.msg.text, m.msg.tail, m.msg.tail_count);
}

err_t order_instrument(desk_t *d, const char *symbol, instrument_t *out)
{
    const attach_instrument_t *ins = attach_symbol(d->a, symbol);
    return ins ? order_instrument_id(d, ins->def.instrument_id, out) : ERR_NOT_FOUND;
}

/* The record of a ClOrdID: one that the engine still holds before the order that left for it. */
static bool look(desk_t *d, uint64_t cl_ord_id, order_answer_t *answer, attach_message_t *m)
{
    static const struct {
        record_id_t id;
        msg_type_t  type;
        bool        done; /* held ones that are done with, too */
    } arrays[] = {{RECORD_ID_HELD, MSG_HELD_ORDER, false},
                  {RECORD_ID_ORDERS, MSG_ORDER, true},
                  {RECORD_ID_HELD, MSG_HELD_ORDER, true}};
    for (size_t k = 0; k < sizeof arrays / sizeof arrays[0]; k++) {
        records_reader_t reader;
        const uint32_t   count = attach_records(d->a, arrays[k].id, &reader) ? reader.count : 0;
        const bool       known = answer->found && answer->at == arrays[k].id && answer->place < count;
        for (uint32_t n = 0; n < count; n++) {
            const uint32_t i = known ? (answer->place + n) % count : n; /* where it was, first */
            if (attach_record(d->a, &reader, i, m) != ERR_OK || m->msg.type != arrays[k].type ||
                *(const uint64_t *)m->msg.body != cl_ord_id) {
                continue;
            }
            if (arrays[k].done || ((const held_record_t *)m->msg.body)->state != HELD_DONE) {
                answer->found = true;
                answer->at    = arrays[k].id;
                answer->place = i;
                return true;
            }
            break;
        }
    }
    return false;
}

_Static_assert(offsetof(order_record_t, cl_ord_id) == 0 && offsetof(held_record_t, cl_ord_id) == 0, "look");

static void of_order(const order_record_t *o, order_terms_req_t *req)
{
    req->account_id    = o->account_id;
    req->instrument_id = o->instrument_id;
    req->px            = o->px;
    req->qty           = o->order_qty;
    req->side          = o->side;
    req->ord_type      = o->ord_type;
    req->tif           = o->tif;
    req->exec_inst     = o->exec_inst;
}

static void of_held(const held_record_t *h, order_terms_req_t *req)
{
    req->account_id      = h->account_id;
    req->instrument_id   = h->instrument_id;
    req->px              = h->px;
    req->qty             = h->order_qty;
    req->side            = h->side;
    req->ord_type        = h->ord_type;
    req->tif             = h->tif;
    req->exec_inst       = h->exec_inst;
    req->position_effect = h->position_effect;
    req->stop_px         = h->stop_px;
    req->trail           = h->trail;
    req->display_qty     = h->display_qty;
    req->expire_utc_ns   = h->expire_utc_ns;
    req->list_id         = h->list_id;
    req->contingency     = h->contingency;
    req->trigger         = h->trigger;
    req->algo            = h->algo;
    req->algo_arg        = h->algo_arg;
}

err_t order_target(desk_t *d, uint64_t cl_ord_id, order_action_t action, order_answer_t *out)
{
    attach_message_t m;
    *out = (order_answer_t){0};
    if (!look(d, cl_ord_id, out, &m)) {
        return err_set(ERR_NOT_FOUND, "order %" PRIu64 ": none of this ClOrdID is kept (`hwal orders --all`)",
                       cl_ord_id);
    }
    out->terms = m.msg.type == MSG_HELD_ORDER;
    if (out->terms) {
        of_held(m.msg.body, &out->req);
    } else {
        of_order(m.msg.body, &out->req);
    }
    out->req.action         = (uint8_t)action;
    out->req.orig_cl_ord_id = cl_ord_id;
    return ERR_OK;
}

/* ---- sending and waiting ------------------------------------------------------------------------------------------------ */
hwal_err_t order_send(desk_t *d, order_answer_t *answer)
{
    order_req_t plain;
    if (answer->terms) {
        return hwal_lane_terms(d->lane, &answer->req);
    }
    memcpy(&plain, &answer->req, sizeof plain);
    const hwal_err_t err = hwal_lane_order(d->lane, &plain);
    memcpy(&answer->req, &plain, sizeof plain);
    return err;
}

/* A report that one of them was rejected after it had been taken. */
static void hear(order_answer_t *answers, uint32_t count, const hwal_message_t *m)
{
    const exec_report_t *report = m->body;
    for (uint32_t i = 0; m->type == MSG_EXEC_REPORT && report->exec_type == EXEC_TYPE_REJECTED && i < count; i++) {
        if (report->cl_ord_id == answers[i].req.cl_ord_id) {
            answers[i].rejected    = true;
            answers[i].denied      = (report->flags & EXEC_DENIED) != 0;
            answers[i].reject_code = report->reject_code;
        }
    }
}

bool order_verdict(desk_t *d, uint64_t cl_ord_id, verdict_t *out)
{
    const int64_t  until = role_mono_ns() + DESK_ANSWER_NS;
    hwal_message_t m;
    while (role_mono_ns() < until && desk_next(d, until - role_mono_ns(), &m)) {
        if (m.type == MSG_VERDICT && ((const verdict_t *)m.body)->cl_ord_id == cl_ord_id) {
            memcpy(out, m.body, sizeof *out);
            return true;
        }
    }
    return false;
}

/* The order that an answer is about. */
static uint64_t subject(const order_answer_t *answer)
{
    return answer->req.action == ORDER_ACTION_NEW ? answer->req.cl_ord_id : answer->req.orig_cl_ord_id;
}

static uint8_t status_of(const msg_t *msg)
{
    return msg->type == MSG_ORDER ? ((const order_record_t *)msg->body)->ord_status
                                  : ((const held_record_t *)msg->body)->ord_status;
}

/* Is what was asked for still under way? *good: did it end as asked? */
static bool under_way(const order_answer_t *answer, const msg_t *msg, bool *good)
{
    const uint8_t status = status_of(msg);
    switch ((order_action_t)answer->req.action) {
    case ORDER_ACTION_CANCEL: *good = status == ORD_STATUS_CANCELED; return view_open(status);
    case ORDER_ACTION_REPLACE: *good = true; return status == ORD_STATUS_PENDING_REPLACE;
    default: *good = status == ORD_STATUS_FILLED; return view_open(status);
    }
}

/* Answers are read meanwhile, so that their ring never fills. */
static void read_on(desk_t *d, order_answer_t *answers, uint32_t count, int64_t ns)
{
    const int64_t  until = role_mono_ns() + ns;
    hwal_message_t m;
    while (role_mono_ns() < until && desk_next(d, until - role_mono_ns(), &m)) {
        hear(answers, count, &m);
    }
}

static int ends(desk_t *d, order_answer_t *answers, uint32_t count, int64_t wait_ns)
{
    const int64_t began = role_mono_ns();
    for (;;) {
        uint32_t open = 0, good = 0;
        for (uint32_t i = 0; i < count; i++) {
            attach_message_t m;
            bool             well = false;
            const bool       seen = look(d, subject(&answers[i]), &answers[i], &m);
            open += seen ? under_way(&answers[i], &m.msg, &well) : 1;
            good += well;
        }
        if (open == 0 || role_mono_ns() - began >= wait_ns || attach_stale(d->a)) {
            return open == 0 && good > 0 ? EXIT_OK
                                         : EXIT_FINDING; /* of a list one fills, and the others are cancelled */
        }
        read_on(d, answers, count, LOOK_NS);
    }
}

int order_await(desk_t *d, order_answer_t *answers, uint32_t count, int64_t wait_ns)
{
    const int64_t  until  = role_mono_ns() + DESK_ANSWER_NS;
    uint32_t       denied = 0, answered = 0;
    hwal_message_t m;
    while (answered < count && role_mono_ns() < until && desk_next(d, until - role_mono_ns(), &m)) {
        hear(answers, count, &m);
        for (uint32_t i = 0; m.type == MSG_VERDICT && i < count; i++) {
            const verdict_t *v = m.body;
            if (v->cl_ord_id == answers[i].req.cl_ord_id && !answers[i].answered) {
                answers[i].verdict  = *v;
                answers[i].answered = true;
                denied += v->code != RISK_ACCEPTED;
                answered++;
            }
        }
    }
    if (answered < count) {
        return desk_ended(d);
    }
    if (denied) {
        return EXIT_FINDING;
    }
    if (wait_ns != ORDER_WAIT_NONE) {
        return ends(d, answers, count, wait_ns);
    }
    read_on(d, answers, count, LOOK_NS); /* for its record to be published, and what is rejected at once to be told */
    uint32_t rejected = 0;
    for (uint32_t i = 0; i < count; i++) {
        rejected += answers[i].rejected;
    }
    return rejected ? EXIT_FINDING : EXIT_OK;
}

/* ---- printing ----------------------------------------------------------------------------------------------------------- */
static json_t *scope_json(const desk_t *d, uint8_t type, uint32_t id, uint32_t instrument_id)
{
    limit_scope_t              scope = {.type = (scope_t)type, .id1 = id, .id2 = instrument_id};
    const attach_instrument_t *ins   = attach_instrument(d->a, instrument_id);
    char                       text[LIMIT_TEXT_MAX];
    if (type == SCOPE_NONE) {
        return json_null();
    }
    if (ins && (type == SCOPE_INSTRUMENT || limit_scope_pair(scope.type))) {
        snprintf(scope.symbol, sizeof scope.symbol, "%s", ins->symbol);
    }
    return command_text(limit_scope_format(&scope, text));
}

/* Code, observed, limit and unit, in the scale of the unit. */
static void put_verdict(json_t *row, const desk_t *d, const verdict_t *v)
{
    json_t *all = json_object();
    describe_fields(all, d->a, &(msg_t){.type = MSG_VERDICT, .body = v});
    json_object_set_new(row, "accepted", json_boolean(v->code == RISK_ACCEPTED));
    json_object_set_new(row, "code", json_integer(v->code));
    json_object_set_new(row, "code_name", json_string(risk_code_str(v->code)));
    json_object_set(row, "observed", json_object_get(all, "observed"));
    json_object_set(row, "limit", json_object_get(all, "limit"));
    json_object_set_new(row, "unit", json_string(risk_code_unit(v->code)));
    json_object_set_new(row, "scope", scope_json(d, v->scope_type, v->scope_id, v->instrument_id));
    json_object_set_new(row, "limit_version", json_integer(v->limit_version));
    json_object_set_new(row, "order_seq", table_u64(v->order_seq));
    json_decref(all);
}

static json_t *answer_json(desk_t *d, order_answer_t *answer)
{
    static const char *const actions[] = {"NONE", "NEW", "REPLACE", "CANCEL"};
    attach_message_t         m;
    json_t                  *row = json_object(), *order = json_null();
    json_object_set_new(row, "action", json_string(actions[answer->req.action]));
    json_object_set_new(row, "cl_ord_id", table_u64(answer->req.cl_ord_id));
    json_object_set_new(row, "orig_cl_ord_id", table_u64(answer->req.orig_cl_ord_id));
    json_object_set_new(row, "list_id", table_u64(answer->req.list_id));
    if (answer->answered) {
        put_verdict(row, d, &answer->verdict);
    } else {
        json_object_set_new(row, "accepted", json_null());
    }
    json_object_set_new(row, "reject_code", answer->rejected ? json_integer(answer->reject_code) : json_null());
    json_object_set_new(row, "reject_name",
                        answer->denied     ? json_string(risk_code_str(answer->reject_code))
                        : answer->rejected ? json_string("VENUE")
                                           : json_null());
    if (look(d, subject(answer), answer, &m)) {
        json_decref(order);
        order = json_object();
        describe_fields(order, d->a, &m.msg);
    }
    json_object_set_new(row, "order", order);
    return row;
}

static void denial_text(const json_t *row)
{
    char observed[64], limit[64];
    table_cell("observed", json_object_get(row, "observed"), observed, sizeof observed);
    table_cell("limit", json_object_get(row, "limit"), limit, sizeof limit);
    const char *scope = json_string_value(json_object_get(row, "scope"));
    const char *unit  = json_string_value(json_object_get(row, "unit"));
    fprintf(stderr, "order %" PRIu64 " denied: %s (%d): observed %s, limit %s%s%s%s%s, limits version %d\n",
            (uint64_t)json_integer_value(json_object_get(row, "cl_ord_id")),
            json_string_value(json_object_get(row, "code_name")), (int)json_integer_value(json_object_get(row, "code")),
            observed, limit, *unit ? " " : "", unit, scope ? ", scope " : "", scope ? scope : "",
            (int)json_integer_value(json_object_get(row, "limit_version")));
}

void order_print(desk_t *d, order_answer_t *answers, uint32_t count, bool json)
{
    static const column_t columns[] = {{"cl_ord_id", "ClOrdID", COLUMN_NUMBER},
                                       {"symbol", "Symbol", COLUMN_TEXT},
                                       {"account_id", "Acct", COLUMN_NUMBER},
                                       {"side", "Side", COLUMN_TEXT},
                                       {"ord_type", "OrdType", COLUMN_TEXT},
                                       {"tif", "TIF", COLUMN_TEXT},
                                       {"px", "Price", COLUMN_NUMBER},
                                       {"stop_px", "StopPx", COLUMN_NUMBER},
                                       {"order_qty", "OrderQty", COLUMN_NUMBER},
                                       {"cum_qty", "CumQty", COLUMN_NUMBER},
                                       {"leaves_qty", "LeavesQty", COLUMN_NUMBER},
                                       {"avg_px", "AvgPx", COLUMN_NUMBER},
                                       {"ord_status", "OrdStatus", COLUMN_TEXT}};
    json_t               *rows = json_array(), *orders = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_t       *row   = answer_json(d, &answers[i]);
        const json_t *order = json_object_get(row, "order");
        if (json_is_object(order)) {
            json_array_append(orders, (json_t *)(uintptr_t)order);
        }
        if (!json && answers[i].answered && answers[i].verdict.code != RISK_ACCEPTED) {
            denial_text(row);
        }
        if (!json && answers[i].rejected) {
            fprintf(stderr, "order %" PRIu64 " rejected: %s (%u)\n", answers[i].req.cl_ord_id,
                    json_string_value(json_object_get(row, "reject_name")), answers[i].reject_code);
        }
        json_array_append_new(rows, row);
    }
    if (json) {
        json_t *view = view_head(d->a);
        json_object_set(view, "orders", rows);
        table_json(stdout, view);
        json_decref(view);
    } else if (json_array_size(orders) > 0) {
        table_text(stdout, columns, sizeof columns / sizeof columns[0], orders, command_colour(stdout));
    }
    json_decref(rows);
    json_decref(orders);
}

/* ---- questions ---------------------------------------------------------------------------------------------------------- */
/* An order with terms is asked about as what it leaves as: with its limit, or as a market order. */
json_t *order_probe(desk_t *d, const order_terms_req_t *req, risk_check_resp_t *out)
{
    const risk_check_req_t     ask = {.px            = req->px,
                                      .qty           = req->qty,
                                      .account_id    = req->account_id,
                                      .instrument_id = req->instrument_id,
                                      .side          = req->side,
                                      .ord_type      = req->px ? ORD_TYPE_LIMIT : ORD_TYPE_MARKET,
                                      .tif           = req->tif <= TIF_FOK && req->tif != TIF_OPG ? req->tif : TIF_DAY,
                                      .exec_inst     = req->exec_inst};
    const attach_instrument_t *ins = attach_instrument(d->a, req->instrument_id);
    const hwal_err_t           err = hwal_lane_check(d->lane, &ask, out, DESK_ANSWER_NS);
    if (err != HWAL_OK || !ins) {
        return NULL;
    }
    json_t *row = json_object();
    json_object_set_new(row, "symbol", command_text(ins->symbol));
    json_object_set_new(row, "side", json_string(req->side == SIDE_BUY ? "BUY" : "SELL"));
    json_object_set_new(row, "qty", describe_decimal(req->qty, ins->def.qty_exp));
    json_object_set_new(row, "px", describe_decimal(out->px, ins->def.px_exp));
    json_object_set_new(row, "adjusted_qty", describe_decimal(out->adjusted_qty, ins->def.qty_exp));
    json_object_set_new(row, "risk_score", json_integer(out->risk_score));
    const verdict_t v = {.observed      = out->observed,
                         .limit         = out->limit,
                         .scope_id      = out->scope_id,
                         .instrument_id = out->instrument_id,
                         .account_id    = out->account_id,
                         .limit_version = out->limit_version,
                         .order_seq     = out->portfolio_version,
                         .code          = out->code,
                         .scope_type    = out->scope_type};
    put_verdict(row, d, &v);
    return row;
}

void order_print_probes(desk_t *d, json_t *rows, bool json)
{
    static const column_t columns[] = {
        {"symbol", "Symbol", COLUMN_TEXT},   {"side", "Side", COLUMN_TEXT},
        {"qty", "OrderQty", COLUMN_NUMBER},  {"px", "Price", COLUMN_NUMBER},
        {"accepted", "passes", COLUMN_TEXT}, {"adjusted_qty", "would pass", COLUMN_NUMBER},
        {"code_name", "code", COLUMN_TEXT},  {"observed", "observed", COLUMN_NUMBER},
        {"limit", "limit", COLUMN_NUMBER},   {"unit", "unit", COLUMN_TEXT},
        {"scope", "scope", COLUMN_TEXT},     {"risk_score", "score", COLUMN_NUMBER}};
    if (json) {
        json_t *view = view_head(d->a);
        json_object_set_new(view, "probes", rows);
        table_json(stdout, view);
        json_decref(view);
        return;
    }
    table_text(stdout, columns, sizeof columns / sizeof columns[0], rows, command_colour(stdout));
    json_decref(rows);
}
