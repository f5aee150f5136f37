#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/types/ids.h"
#include "hwal_fbs.h"
#include "ipc/hwal_private.h"
#include "ipc/lane.h"
#include "ipc/role.h"

#define CHECK_SPIN_NS (50 * NS_PER_US) /* an awake engine answers within a few us; longer means it sleeps or is busy */

/* Answers that came while hwal_lane_check waited for its own: a circle of as many as the lane itself can hold. */
typedef struct kept {
    ring_meta_t meta;
    _Alignas(8) uint8_t bytes[LANE_STRIDE - RING_SLOT_HEAD];
} kept_t;

struct hwal_lane {
    lane_client_t client;
    lane_t        identity;
    int64_t       mono_offset_ns; /* the engine's clock = CLOCK_MONOTONIC + this */
    uint64_t      seq;            /* of the next ClOrdID */
    uint64_t      asked;          /* risk checks sent, and answers to them seen: they come in order */
    uint64_t      answered;
    uint64_t      kept_first; /* free-running; place = n % kept_cap */
    uint64_t      kept_next;
    uint32_t      kept_cap;
    bool          handed; /* the oldest kept one was handed out and is done with at the next call */
    bool          gone;   /* the engine died without a word */
    kept_t       *kept;
};

/* ---- opening ------------------------------------------------------------------------------------------------------ */
/* greeting: the first message of a lane says who one is. */
static err_t greeting(hwal_lane_t *lane, int64_t wait_ns)
{
    ring_meta_t meta;
    const void *payload;
    msg_t       msg;
    err_t       err = lane_wait(&lane->client, CHECK_SPIN_NS, wait_ns);
    if (err == ERR_AGAIN) {
        return err_set(err, "the engine did not open the lane in %" PRId64 " ms", (int64_t)(wait_ns / NS_PER_MS));
    }
    if (err != ERR_OK || (err = lane_next(&lane->client, &meta, &payload)) != ERR_OK) {
        return err_set(ERR_STATE, "the lane ended before it was open (%s)", lane_reason_str(lane_ended(&lane->client)));
    }
    if ((err = message_read((msg_type_t)meta.type, payload, meta.len, &msg)) != ERR_OK) {
        return err;
    }
    if (msg.type != MSG_LANE) {
        return err_set(ERR_STATE, "the lane's first message is a %s, must be a LANE", msg_type_str(msg.type));
    }
    memcpy(&lane->identity, msg.body, sizeof lane->identity);
    return lane->identity.state == LANE_OPEN ? ERR_OK
                                             : err_set(ERR_STATE, "the engine refused the lane (%s)",
                                                       lane_reason_str((lane_reason_t)lane->identity.reason));
}

/* clock_of: of the engine that opened the lane; it may be younger than the view of the instance. */
static err_t clock_of(hwal_t *h, hwal_lane_t *lane)
{
    for (int look = 0; look < 2; look++) {
        const control_page_t *control = attach_control(&h->a, ROLE_ENGINE);
        const engine_clock_t *clock   = segment_part(&h->a.role[ROLE_ENGINE], "clock", SEGMENT_BLOB, sizeof *clock);
        if (control && clock && atomic_load(&control->epoch) == lane->identity.epoch) {
            lane->mono_offset_ns = atomic_load_explicit(&clock->mono_offset_ns, memory_order_relaxed);
            return ERR_OK;
        }
        hwal_again(h);
    }
    return err_set(ERR_STATE, "the engine of epoch %u, which opened the lane, is gone", lane->identity.epoch);
}

hwal_lane_t *hwal_lane_open(hwal_t *h, const char *client, int64_t wait_ns)
{
    const int64_t until = role_mono_ns() + wait_ns;
    hwal_lane_t  *lane  = calloc(1, sizeof *lane);
    if (lane == NULL) {
        hwal_fail(err_set(ERR_IO, "hwal_lane_open: out of memory: %zu bytes", sizeof *lane));
        return NULL;
    }
    err_t err = lane_lease(&lane->client, h->a.dir_fd, client, wait_ns);
    if (err != ERR_OK) {
        free(lane);
        hwal_fail(err);
        return NULL;
    }
    lane->kept_cap = (uint32_t)(lane->client.from.mask + 1);
    lane->kept     = calloc(lane->kept_cap, sizeof *lane->kept);
    if (lane->kept == NULL) {
        err = err_set(ERR_IO, "hwal_lane_open: out of memory: %u answers", lane->kept_cap);
    }
    if (err != ERR_OK || (err = greeting(lane, max_i64(0, until - role_mono_ns()))) != ERR_OK ||
        (err = clock_of(h, lane)) != ERR_OK) {
        err_wrap(err, "lane of client \"%s\"", client);
        hwal_lane_close(lane);
        hwal_fail(err);
        return NULL;
    }
    lane->seq = lane->identity.first_seq;
    return lane;
}

void hwal_lane_close(hwal_lane_t *lane)
{
    if (lane == NULL) {
        return;
    }
    lane_leave(&lane->client);
    free(lane->kept);
    free(lane);
}

hwal_err_t hwal_lane_identity(const hwal_lane_t *lane, lane_t *out)
{
    *out = lane->identity;
    return HWAL_OK;
}

uint32_t hwal_lane_reason(const hwal_lane_t *lane)
{
    return (uint32_t)lane_ended(&lane->client);
}

/* ---- asking ------------------------------------------------------------------------------------------------------- */
static hwal_err_t closed(const hwal_lane_t *lane)
{
    hwal_fail(err_set(ERR_STATE, "the lane has ended (%s)", lane_reason_str(lane_ended(&lane->client))));
    return HWAL_CLOSED;
}

/* gone: is the engine there no more, though the lane is open as far as its memory says? A system call: only after having
 * waited in vain. */
static bool gone(hwal_lane_t *lane)
{
    lane->gone = lane->gone || lane_ended(&lane->client) != LANE_REASON_NONE;
    return lane->gone;
}

static hwal_err_t send_text(hwal_lane_t *lane, msg_type_t type, const void *body, const char *text, uint32_t topic)
{
    _Alignas(8) uint8_t bytes[LANE_STRIDE];
    size_t              len = 0;
    const msg_t         msg = {.type = type, .body = body, .text = text};
    if (lane->gone) {
        return closed(lane);
    }
    err_t err = message_write(&msg, bytes, sizeof bytes, &len);
    if (err == ERR_OK) {
        const ring_meta_t meta = {
            .len = (uint32_t)len, .type = (uint16_t)type, .topic = topic, .tenant = lane->identity.tenant_id};
        err = lane_send(&lane->client, &meta, bytes);
    }
    return err == ERR_OK ? HWAL_OK : err == ERR_STATE ? closed(lane) : hwal_fail(err);
}

static hwal_err_t send(hwal_lane_t *lane, msg_type_t type, const void *body, uint32_t topic)
{
    return send_text(lane, type, body, NULL, topic);
}

/* one_account: the lane's, if it has just one; else 0. */
static uint32_t one_account(const hwal_lane_t *lane)
{
    const uint64_t accounts = lane->identity.accounts;
    return accounts != 0 && (accounts & (accounts - 1)) == 0 ? (uint32_t)__builtin_ctzll(accounts) : 0;
}

/* What the library fills in of a request, with terms or without: the first bytes of both are an order_req_t's. */
static hwal_err_t fill(hwal_lane_t *lane, order_req_t *order)
{
    if (lane->seq > CL_ORD_ID_SEQ_MAX) {
        return hwal_fail(err_set(ERR_LIMIT, "the lane has no ClOrdIDs left: open it again"));
    }
    order->cl_ord_id       = cl_ord_id_make(lane->identity.epoch, lane->identity.strategy_id, lane->seq);
    order->tenant_id       = lane->identity.tenant_id;
    order->strategy_id     = lane->identity.strategy_id;
    order->account_id      = order->account_id ? order->account_id : one_account(lane);
    order->created_mono_ns = order->created_mono_ns ? order->created_mono_ns : role_mono_ns() + lane->mono_offset_ns;
    return HWAL_OK;
}

hwal_err_t hwal_lane_order(hwal_lane_t *lane, order_req_t *order)
{
    order_req_t filled = *order;
    hwal_err_t  err    = fill(lane, &filled);
    err                = err == HWAL_OK ? send(lane, MSG_ORDER_REQUEST, &filled, filled.instrument_id) : err;
    if (err == HWAL_OK) {
        lane->seq++;
        *order = filled;
    }
    return err;
}

hwal_err_t hwal_lane_terms(hwal_lane_t *lane, order_terms_req_t *order)
{
    order_terms_req_t filled = *order;
    order_req_t       head;
    memcpy(&head, &filled, sizeof head);
    hwal_err_t err = fill(lane, &head);
    memcpy(&filled, &head, sizeof head);
    if (filled.contingency != CONTINGENCY_NONE && filled.list_id == 0) {
        filled.list_id = filled.cl_ord_id;
    }
    err = err == HWAL_OK ? send(lane, MSG_ORDER_TERMS_REQUEST, &filled, filled.instrument_id) : err;
    if (err == HWAL_OK) {
        lane->seq++;
        *order = filled;
    }
    return err;
}

hwal_err_t hwal_lane_mass_cancel(hwal_lane_t *lane, mass_cancel_t *request)
{
    order_req_t      head = {.account_id = 0};
    mass_cancel_t    out  = *request;
    const hwal_err_t err  = fill(lane, &head);
    out.request_id        = head.cl_ord_id;
    const hwal_err_t sent = err == HWAL_OK ? send(lane, MSG_MASS_CANCEL, &out, out.instrument_id) : err;
    if (sent == HWAL_OK) {
        lane->seq++;
        *request = out;
    }
    return sent;
}

hwal_err_t hwal_lane_limit(hwal_lane_t *lane, const limit_change_t *change, const char *reason)
{
    return send_text(lane, MSG_LIMIT_CHANGE, change, reason, 0);
}

hwal_err_t hwal_lane_operate(hwal_lane_t *lane, const operate_t *operate, const char *reason)
{
    return send_text(lane, MSG_OPERATE, operate, reason, 0);
}

hwal_err_t hwal_lane_size(hwal_lane_t *lane, const size_req_t *req)
{
    return send(lane, MSG_SIZE_REQUEST, req, req->instrument_id);
}

hwal_err_t hwal_lane_ask(hwal_lane_t *lane, const risk_check_req_t *req)
{
    risk_check_req_t out = *req;
    out.account_id       = out.account_id ? out.account_id : one_account(lane);
    const hwal_err_t err = send(lane, MSG_RISK_CHECK_REQUEST, &out, out.instrument_id);
    lane->asked += err == HWAL_OK;
    return err;
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */
/* fetch: the next answer where it lies in the lane's memory. A kept one that was handed out is let go. */
static hwal_err_t fetch(hwal_lane_t *lane, ring_meta_t *meta, const void **payload)
{
    switch (lane_next(&lane->client, meta, payload)) {
    case ERR_OK: lane->answered += meta->type == MSG_RISK_CHECK_RESPONSE; return HWAL_OK;
    case ERR_EMPTY: return lane->gone ? closed(lane) : HWAL_EMPTY;
    case ERR_STATE: return closed(lane);
    default: return hwal_fail(err_set(ERR_PARSE, "the lane's memory holds no ring any more"));
    }
}

static hwal_err_t show(const ring_meta_t *meta, const void *payload, hwal_message_t *out)
{
    msg_t       msg = {.type = MSG_NONE};
    const err_t err =
        meta->type < MSG_TYPE_COUNT ? message_read((msg_type_t)meta->type, payload, meta->len, &msg) : ERR_OK;
    if (err != ERR_OK) {
        return hwal_fail(ERR_PARSE);
    }
    hwal_fill(out, &msg, meta, payload, 0);
    return HWAL_OK;
}

hwal_err_t hwal_lane_next(hwal_lane_t *lane, hwal_message_t *out)
{
    ring_meta_t meta;
    const void *payload = NULL;
    lane->kept_first += lane->handed;
    lane->handed = lane->kept_first != lane->kept_next;
    if (lane->handed) {
        const kept_t *kept = &lane->kept[lane->kept_first % lane->kept_cap];
        return show(&kept->meta, kept->bytes, out);
    }
    const hwal_err_t err = fetch(lane, &meta, &payload);
    return err == HWAL_OK ? show(&meta, payload, out) : err;
}

hwal_err_t hwal_lane_wait(hwal_lane_t *lane, int64_t spin_ns, int64_t timeout_ns)
{
    if (lane->kept_next - lane->kept_first > lane->handed) {
        return HWAL_OK;
    }
    const err_t err = lane_wait(&lane->client, spin_ns, timeout_ns);
    if (err != ERR_STATE && err != ERR_AGAIN) {
        return HWAL_OK; /* damaged: hwal_lane_next says so */
    }
    if (!gone(lane)) {
        return HWAL_AGAIN;
    }
    return lane_wait(&lane->client, 0, 0) == ERR_OK /* it came before the end, and after we looked */ ? HWAL_OK
                                                                                                      : closed(lane);
}

/* take_one: one answer of the lane: the wanted one into *out, any other is kept. */
static hwal_err_t take_one(hwal_lane_t *lane, uint64_t wanted, risk_check_resp_t *out, bool *found)
{
    ring_meta_t      meta;
    const void      *payload = NULL;
    hwal_message_t   m;
    const hwal_err_t err = fetch(lane, &meta, &payload);
    if (err != HWAL_OK) {
        return err;
    }
    *found = meta.type == MSG_RISK_CHECK_RESPONSE && lane->answered == wanted;
    if (*found) {
        const hwal_err_t shown = show(&meta, payload, &m);
        if (shown == HWAL_OK) {
            memcpy(out, m.body, sizeof *out);
        }
        return shown;
    }
    kept_t *kept = &lane->kept[lane->kept_next++ % lane->kept_cap];
    kept->meta   = meta;
    memcpy(kept->bytes, payload, meta.len); /* lane_next bounds it by the slot */
    return HWAL_OK;
}

hwal_err_t hwal_lane_check(hwal_lane_t *lane, const risk_check_req_t *req, risk_check_resp_t *out, int64_t timeout_ns)
{
    const int64_t  until  = role_mono_ns() + timeout_ns;
    bool           found  = false;
    hwal_err_t     err    = hwal_lane_ask(lane, req);
    const uint64_t wanted = lane->asked;
    while (err == HWAL_OK && !found) {
        if (lane->kept_next - lane->kept_first == lane->kept_cap) {
            return hwal_fail(err_set(ERR_FULL, "%u answers wait for hwal_lane_next", lane->kept_cap));
        }
        err = take_one(lane, wanted, out, &found);
        if (err == HWAL_EMPTY) {
            const int64_t left = max_i64(0, until - role_mono_ns());
            const err_t   woke = lane_wait(&lane->client, CHECK_SPIN_NS, left);
            const bool    over = (woke == ERR_STATE || woke == ERR_AGAIN) && !gone(lane);
            err                = over ? HWAL_AGAIN : HWAL_OK; /* gone: take_one says so when all was read */
        }
    }
    return err;
}
