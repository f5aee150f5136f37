#include "tools/engine_lanes.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ipc/message.h"
#include "ipc/role.h"
#include "ipc/words_copy.h"
#include "tools/engine_loop.h"

static const char *name_of(const engine_loop_t *l, const engine_lane_t *lane)
{
    return l->config->lanes.clients[lane - l->lanes.lanes].name;
}

static void end(engine_lane_t *lane, lane_reason_t reason)
{
    lane->ends = lane->ends ? lane->ends : (uint8_t)reason; /* the first one says what was wrong */
}

/* ---- answers ------------------------------------------------------------------------------------------------------- */
static void tell(engine_loop_t *l, engine_lane_t *lane, msg_type_t type, const void *body)
{
    _Alignas(8) uint8_t bytes[LANE_STRIDE - RING_SLOT_HEAD];
    size_t              len = 0;
    if (lane->ends || !lane->server.cmd) {
        return;
    }
    const err_t err = message_write(&(msg_t){.type = type, .body = body}, bytes, sizeof bytes, &len);
    assert(err == ERR_OK); /* hot messages: none is larger than an execution report */
    (void)err;
    const ring_meta_t meta = {.len    = (uint32_t)len,
                              .type   = (uint16_t)type,
                              .topic  = publish_topic(type, body),
                              .tenant = lane->server.lane.tenant_id};
    if (lane_answer(&lane->server, &meta, bytes) != ERR_OK) {
        end(lane, LANE_REASON_RSP_FULL);
        return;
    }
    counter_add(l->counters, COUNTER_LANE_ANSWERS, 1);
}

/* An answer of the role itself, to a request that never becomes an input. */
static void deny(engine_loop_t *l, engine_lane_t *lane, const verdict_t *why)
{
    verdict_t verdict     = *why;
    verdict.engine_utc_ns = engine_now(l).utc_ns;
    verdict.order_seq     = l->sequence;
    verdict.strategy_id   = lane->server.lane.strategy_id;
    verdict.limit_version = risk_limit_version(engine_risk(l->engine));
    tell(l, lane, MSG_VERDICT, &verdict);
}

static void tell_verdict(engine_loop_t *l, const verdict_t *verdict)
{
    engine_lane_t *lane = l->lanes.asking;
    if (lane && verdict->cl_ord_id == l->lanes.asked_id) {
        l->lanes.asking = NULL;
        tell(l, lane, MSG_VERDICT, verdict);
        histogram_record(l->lanes.latency, (uint64_t)(role_mono_ns() - l->began_mono_ns), verdict->order_seq);
    }
}

void engine_lanes_answer(engine_loop_t *l)
{
    const out_rec_t *rec;
    for (uint32_t pos = 0; (rec = engine_out_next(&l->out, &pos));) {
        if (rec->type == MSG_VERDICT) {
            tell_verdict(l, (const void *)(rec + 1));
        } else if (rec->type == MSG_EXEC_REPORT) {
            const exec_report_t *report = (const void *)(rec + 1);
            const uint32_t       place  = report->strategy_id - l->setup->strategy_count - 1;
            if (place < ENGINE_LANES_MAX) {
                tell(l, &l->lanes.lanes[place], MSG_EXEC_REPORT, report);
            }
        } else if (rec->type == MSG_AUDIT) {
            const audit_t *audit = (const void *)(rec + 1);
            if (audit->lane_id - 1 < ENGINE_LANES_MAX) {
                tell(l, &l->lanes.lanes[audit->lane_id - 1], MSG_AUDIT, audit);
            }
        }
    }
}

void engine_lanes_bell(engine_loop_t *l)
{
    for (uint32_t i = 0; i < l->setup->lane_count; i++) {
        if (l->lanes.lanes[i].server.cmd) {
            lane_bell(&l->lanes.lanes[i].server);
        }
    }
}

/* ---- requests ------------------------------------------------------------------------------------------------------ */
static void misused(engine_loop_t *l, engine_lane_t *lane, uint32_t type, const char *why)
{
    end(lane, LANE_REASON_MISUSED);
    log_write(l->log, LOG_ERROR, "lane %s: message %" PRIu64 " (%s): %s", name_of(l, lane), lane->server.from.next - 1,
              msg_type_str((msg_type_t)type), why);
}

static uint32_t check(engine_loop_t *l, engine_lane_t *lane, const risk_check_req_t *req)
{
    const now_t       now = engine_now(l);
    risk_check_resp_t answer;
    engine_risk_check(l->engine, now, lane->server.lane.lane_id, req, &answer);
    tell(l, lane, MSG_RISK_CHECK_RESPONSE, &answer);
    counter_add(l->counters, COUNTER_LANE_CHECKS, 1);
    const int64_t ns =
        role_mono_ns() + l->mono_offset_ns - now.mono_ns; /* negative when inputs are ahead of the clock */
    histogram_record(l->lanes.latency, ns > 0 ? (uint64_t)ns : 0, l->sequence);
    return answer.approved ? 1 : ENGINE_LANE_DENIED;
}

static uint32_t size(engine_loop_t *l, engine_lane_t *lane, const size_req_t *req)
{
    size_resp_t answer;
    engine_size(l->engine, engine_now(l), lane->server.lane.lane_id, req, &answer);
    tell(l, lane, MSG_SIZE_RESPONSE, &answer);
    counter_add(l->counters, COUNTER_LANE_CHECKS, 1);
    return ENGINE_LANE_DENIED; /* it asks risk more than once */
}

/* What a lane said in its own name, as an input: journaled whatever becomes of it, and paid for by its flood. */
static uint32_t input(engine_loop_t *l, engine_lane_t *lane, const msg_t *msg)
{
    engine_input_from(l, msg, RECORD_SOURCE_CMD, lane->server.lane.lane_id, lane->server.from.next - 1);
    l->lanes.asking     = NULL;
    const int64_t since = l->began_mono_ns;
    lane->due_mono_ns   = (lane->due_mono_ns > since ? lane->due_mono_ns : since) + lane->gap_ns;
    return 1;
}

static bool another(const lane_t *own, uint32_t tenant_id, uint32_t strategy_id)
{
    return (tenant_id && tenant_id != own->tenant_id) || (strategy_id && strategy_id != own->strategy_id);
}

static uint32_t order(engine_loop_t *l, engine_lane_t *lane, const order_req_t *said)
{
    const lane_t *own = &lane->server.lane;
    order_req_t   req = *said;
    if (another(own, req.tenant_id, req.strategy_id)) {
        misused(l, lane, MSG_ORDER_REQUEST, "in the name of another");
        return 1;
    }
    req.tenant_id     = own->tenant_id;
    req.strategy_id   = own->strategy_id;
    l->lanes.asking   = lane;
    l->lanes.asked_id = req.cl_ord_id;
    return input(l, lane, &(msg_t){.type = MSG_ORDER_REQUEST, .body = &req});
}

static uint32_t order_terms(engine_loop_t *l, engine_lane_t *lane, const order_terms_req_t *said)
{
    const lane_t     *own = &lane->server.lane;
    order_terms_req_t req = *said;
    if (another(own, req.tenant_id, req.strategy_id)) {
        misused(l, lane, MSG_ORDER_TERMS_REQUEST, "in the name of another");
        return 1;
    }
    req.tenant_id     = own->tenant_id;
    req.strategy_id   = own->strategy_id;
    req.user_id       = own->uid;
    l->lanes.asking   = lane;
    l->lanes.asked_id = req.cl_ord_id;
    return input(l, lane, &(msg_t){.type = MSG_ORDER_TERMS_REQUEST, .body = &req});
}

/* Its own orders, or with LANE_RIGHT_OPERATE anybody's of its tenant. The engine does not know whose request it is: that
 * it may be made is made certain here. */
static uint32_t mass_cancel(engine_loop_t *l, engine_lane_t *lane, const mass_cancel_t *said)
{
    const lane_t  *own     = &lane->server.lane;
    const bool     operate = (own->rights & LANE_RIGHT_OPERATE) != 0;
    const uint16_t right   = operate ? LANE_RIGHT_OPERATE : LANE_RIGHT_ORDER;
    mass_cancel_t  req     = *said;
    req.tenant_id          = req.tenant_id ? req.tenant_id : own->tenant_id;
    req.strategy_id        = req.strategy_id || operate ? req.strategy_id : own->strategy_id;
    req.user_id            = own->uid;
    if (!(own->rights & right) || req.tenant_id != own->tenant_id ||
        (!operate && req.strategy_id != own->strategy_id)) {
        deny(l, lane,
             &(verdict_t){.cl_ord_id  = req.request_id,
                          .code       = RISK_NOT_AUTHORISED,
                          .scope_type = SCOPE_STRATEGY,
                          .scope_id   = own->strategy_id,
                          .account_id = req.account_id,
                          .observed   = right,
                          .limit      = own->rights,
                          .action     = ORDER_ACTION_CANCEL});
        return 1;
    }
    l->lanes.asking   = lane;
    l->lanes.asked_id = req.request_id;
    return input(l, lane, &(msg_t){.type = MSG_MASS_CANCEL, .body = &req});
}

/* What stands: an AUDIT_VALUE for each field that the scope has, then one with field LANE_FIELDS_END. */
static uint32_t limits(engine_loop_t *l, engine_lane_t *lane, const limit_change_t *asked)
{
    audit_t answer = {.change_id  = asked->change_id,
                      .utc_ns     = engine_now(l).utc_ns,
                      .event_seq  = l->sequence,
                      .scope_id   = asked->scope_id,
                      .scope_id2  = asked->scope_id2,
                      .user_id    = lane->server.lane.uid,
                      .lane_id    = lane->server.lane.lane_id,
                      .version    = risk_limit_version(engine_risk(l->engine)),
                      .scope_type = asked->scope_type,
                      .kind       = AUDIT_VALUE};
    for (uint16_t field = 0; field < RISK_FIELD_COUNT; field++) {
        answer.field = field;
        if (engine_limit(l->engine, (scope_t)asked->scope_type, asked->scope_id, asked->scope_id2, field,
                         &answer.new_value)) {
            tell(l, lane, MSG_AUDIT, &answer);
        }
    }
    answer.field     = LANE_FIELDS_END;
    answer.new_value = 0;
    tell(l, lane, MSG_AUDIT, &answer);
    counter_add(l->counters, COUNTER_LANE_CHECKS, 1);
    return ENGINE_LANE_DENIED;
}

/* Who says it is the lane's to know and not its client's; whether he may is core's to judge, which answers with AUDITs. */
static uint32_t limit_change(engine_loop_t *l, engine_lane_t *lane, const msg_t *msg)
{
    limit_change_t change = *(const limit_change_t *)msg->body;
    if (change.step == LIMIT_STEP_GET) {
        return limits(l, lane, &change);
    }
    change.user_id = lane->server.lane.uid;
    change.lane_id = lane->server.lane.lane_id;
    return input(l, lane, &(msg_t){.type = MSG_LIMIT_CHANGE, .body = &change, .text = msg->text});
}

static uint32_t operate(engine_loop_t *l, engine_lane_t *lane, const msg_t *msg)
{
    operate_t said = *(const operate_t *)msg->body;
    said.user_id   = lane->server.lane.uid;
    said.lane_id   = lane->server.lane.lane_id;
    return input(l, lane, &(msg_t){.type = MSG_OPERATE, .body = &said, .text = msg->text});
}

/* One request; what it counts of the budget, 0 = there is none, or the lane ends. */
static uint32_t take(engine_loop_t *l, engine_lane_t *lane)
{
    _Alignas(8) uint8_t bytes[LANE_STRIDE];
    ring_meta_t         meta;
    msg_t               msg;
    const err_t         err = lane_take(&lane->server, bytes, sizeof bytes, &meta);
    if (err) {
        if (err != ERR_EMPTY) {
            end(lane, LANE_REASON_DAMAGED);
        }
        return 0;
    }
    counter_add(l->counters, COUNTER_LANE_REQUESTS, 1);
    if (message_read((msg_type_t)meta.type, bytes, meta.len, &msg) != ERR_OK) {
        misused(l, lane, meta.type, err_msg());
        return 1;
    }
    switch (msg.type) {
    case MSG_ORDER_REQUEST: return order(l, lane, msg.body);
    case MSG_ORDER_TERMS_REQUEST: return order_terms(l, lane, msg.body);
    case MSG_MASS_CANCEL: return mass_cancel(l, lane, msg.body);
    case MSG_LIMIT_CHANGE: return limit_change(l, lane, &msg);
    case MSG_OPERATE: return operate(l, lane, &msg);
    case MSG_RISK_CHECK_REQUEST: return check(l, lane, msg.body);
    case MSG_SIZE_REQUEST: return size(l, lane, msg.body);
    default: misused(l, lane, meta.type, "not for a client to say"); return 1;
    }
}

/* Is there room for a request and, behind it, for executions, control and the engine's own cancels? */
static bool spare(engine_loop_t *l)
{
    const uint32_t jrn = ENGINE_BATCH_MAX + l->jrn_slots / ENGINE_LANE_SPARE;
    const uint32_t ord = ENGINE_TO_VENUE_MAX + l->ord_slots / ENGINE_LANE_SPARE;
    return engine_room(l) && lossless_room(&l->jrn, jrn) >= jrn && lossless_room(&l->ord, ord) >= ord;
}

static uint32_t requests(engine_loop_t *l, engine_lane_t *lane, int64_t mono_ns)
{
    uint32_t spent = 0, done = 0;
    while (spent < ENGINE_LANE_BUDGET && !lane->ends && spare(l)) {
        if (lane->due_mono_ns - mono_ns > NS_PER_S) {
            l->lanes.held = true;
            break;
        }
        const uint32_t cost = take(l, lane);
        if (!cost) {
            break;
        }
        spent += cost;
        done++;
    }
    if (done) {
        _Atomic uint64_t *all = &l->lanes.page->requests[lane - l->lanes.lanes];
        atomic_store_explicit(all, atomic_load_explicit(all, memory_order_relaxed) + done, memory_order_relaxed);
    }
    return done;
}

/* ---- ends ---------------------------------------------------------------------------------------------------------- */
/* False: no room to journal it now. */
static bool finish(engine_loop_t *l, engine_lane_t *lane)
{
    lane_t closed    = lane->server.lane;
    closed.state     = LANE_CLOSED;
    closed.reason    = lane->ends;
    closed.epoch     = 0;
    closed.first_seq = 0;
    const err_t err  = engine_input(l, &(msg_t){.type = MSG_LANE, .body = &closed});
    if (err == ERR_FULL) {
        return false;
    }
    log_write(l->log, err ? LOG_ERROR : LOG_INFO, "lane %s closed: %s%s%s", name_of(l, lane),
              lane_reason_str((lane_reason_t)lane->ends), err ? ": " : "", err ? err_msg() : "");
    lanes_page_show(l->lanes.page, &closed);
    lane_close(&lane->server, (lane_reason_t)lane->ends);
    *lane = (engine_lane_t){.due_mono_ns = lane->due_mono_ns};
    l->lanes.open--;
    counter_add(l->counters, COUNTER_LANES_CLOSED, 1);
    return true;
}

uint32_t engine_lanes_turn(engine_loop_t *l, int64_t mono_ns)
{
    uint32_t   done = 0;
    const bool look = mono_ns >= l->lanes.look_mono_ns;
    l->lanes.held   = false;
    if (look) {
        l->lanes.look_mono_ns = mono_ns + ENGINE_LANE_LOOK_NS;
    }
    for (uint32_t i = 0; i < l->setup->lane_count; i++) {
        engine_lane_t *lane = &l->lanes.lanes[i];
        if (!lane->server.cmd) {
            continue;
        }
        done += requests(l, lane, mono_ns);
        const bool goodbye = atomic_load_explicit(&lane->server.cmd->goodbye, memory_order_relaxed) != 0;
        if ((look || goodbye) && !lane->ends) {
            end(lane, lane_look(&lane->server));
        }
        done += lane->ends && finish(l, lane);
    }
    return done;
}

err_t engine_lanes_close(engine_loop_t *l, lane_reason_t reason)
{
    for (uint32_t i = 0; i < l->setup->lane_count; i++) {
        engine_lane_t *lane = &l->lanes.lanes[i];
        if (lane->server.cmd) {
            end(lane, reason);
            if (!finish(l, lane)) {
                return ERR_FULL;
            }
        }
    }
    return ERR_OK;
}

void engine_lanes_drop(engine_lanes_t *lanes)
{
    for (uint32_t i = 0; i < ENGINE_LANES_MAX; i++) {
        lane_server_t *s = &lanes->lanes[i].server;
        if (s->cmd) {
            munmap((void *)(uintptr_t)s->cmd, s->cmd_bytes);
            munmap(s->rsp, s->rsp_bytes);
            close(s->link_fd);
        }
    }
    *lanes = (engine_lanes_t){0};
}

void engine_lanes_begin(engine_lanes_t *lanes, const config_t *config)
{
    for (uint32_t i = 0; i < config->lanes.clients_count; i++) {
        snprintf(lanes->page->names[i], sizeof lanes->page->names[i], "%s", config->lanes.clients[i].name);
    }
}

/* ---- leases -------------------------------------------------------------------------------------------------------- */
/* Why this lease cannot be given, before anything of it is touched; NULL = it can. */
static const char *refusal(engine_loop_t *l, lane_t *lane, int link_fd)
{
    struct ucred peer;
    socklen_t    len = sizeof peer;
    if (!setup_lane(l->setup, lane->lane_id, lane)) {
        return "no client of the configuration";
    }
    engine_lane_t *place = &l->lanes.lanes[lane->lane_id - 1];
    if (place->server.cmd) {
        end(place, lane_look(&place->server));
        if (!place->ends || !finish(l, place)) {
            return "it is leased";
        }
    }
    if (getsockopt(link_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
        return "nobody knows who holds its connection";
    }
    lane->uid = peer.uid;
    lane->pid = (uint32_t)peer.pid;
    return engine_room(l) ? NULL : "the engine has no room for one more input";
}

/* Journaled, then shown to its client and to everyone. */
static err_t lease(engine_loop_t *l, engine_lane_t *place, const lane_t *lane)
{
    const err_t err = engine_input(l, &(msg_t){.type = MSG_LANE, .body = lane});
    lane_t      now;
    if (err) {
        lane_close(&place->server, LANE_REASON_MISUSED);
        return err;
    }
    const bool known = engine_lane(l->engine, lane->lane_id, &now);
    assert(known); /* the engine has just opened it */
    (void)known;
    place->gap_ns = NS_PER_S / ENGINE_LANE_FLOOD / l->config->lanes.clients[lane->lane_id - 1].messages_per_s;
    l->lanes.open++;
    atomic_store_explicit(&l->lanes.page->requests[lane->lane_id - 1], 0, memory_order_relaxed);
    lanes_page_show(l->lanes.page, &now);
    lane_open(&place->server, &now);
    lane_bell(&place->server);
    return ERR_OK;
}

void engine_lanes_lease(engine_loop_t *l, uint64_t number, int cmd_fd, int rsp_fd, int link_fd)
{
    lane_t lane = {.lease = number >> 8, .lane_id = (uint32_t)(number & 255u), .state = LANE_OPEN};
    if (lane.lane_id - 1 >= ENGINE_LANES_MAX) {
        lane.lane_id = 0;
    }
    const char *why = refusal(l, &lane, link_fd);
    if (why) {
        close(cmd_fd);
        close(rsp_fd);
        close(link_fd);
        log_write(l->log, LOG_WARN, "lane %" PRIu64 ", lease %" PRIu64 " refused: %s", number & 255u, lane.lease, why);
        return;
    }
    engine_lane_t *place = &l->lanes.lanes[lane.lane_id - 1];
    *place    = (engine_lane_t){.due_mono_ns = place->due_mono_ns}; /* a new lease is no new second of flood */
    err_t err = lane_serve(&place->server, cmd_fd, rsp_fd, link_fd);
    err       = err ? err : lease(l, place, &lane);
    if (err) {
        log_write(l->log, LOG_ERROR, "lane %s, lease %" PRIu64 " refused: %s", name_of(l, place), lane.lease,
                  err_msg());
        return;
    }
    log_write(l->log, LOG_INFO, "lane %s: lease %" PRIu64 " to pid %u of uid %u", name_of(l, place), lane.lease,
              lane.pid, lane.uid);
}

/* ---- sleeping ------------------------------------------------------------------------------------------------------ */
void engine_lanes_arm(engine_lanes_t *lanes)
{
    for (uint32_t i = 0; i < ENGINE_LANES_MAX; i++) {
        engine_lane_t *lane = &lanes->lanes[i];
        if (lane->server.cmd) {
            /* acquire: pairs with the client's release when it rings: what it rang for is seen in the look that follows */
            lane->bell = atomic_load_explicit(&lane->server.cmd->bell.word, memory_order_acquire);
            atomic_store_explicit(&lane->server.rsp->asleep, 1, memory_order_relaxed);
        }
    }
    words_fence_full(); /* pairs with the client's: its request before its look, our flag before ours */
}

void engine_lanes_disarm(engine_lanes_t *lanes)
{
    for (uint32_t i = 0; i < ENGINE_LANES_MAX; i++) {
        if (lanes->lanes[i].server.cmd) {
            atomic_store_explicit(&lanes->lanes[i].server.rsp->asleep, 0, memory_order_relaxed);
        }
    }
}

static uint32_t bells_of(const engine_lanes_t *lanes, const doorbell_t *own, uint32_t word, struct futex_waitv *out)
{
    uint32_t n = 0;
    out[n++]   = (struct futex_waitv){.val = word, .uaddr = (uintptr_t)&own->word, .flags = FUTEX_32};
    for (uint32_t i = 0; i < ENGINE_LANES_MAX; i++) {
        const engine_lane_t *lane = &lanes->lanes[i];
        if (lane->server.cmd) {
            out[n++] = (struct futex_waitv){
                .val = lane->bell, .uaddr = (uintptr_t)&lane->server.cmd->bell.word, .flags = FUTEX_32};
        }
    }
    return n;
}

void engine_lanes_wait(engine_lanes_t *lanes, doorbell_t *own, uint32_t word, int64_t timeout_ns)
{
    struct futex_waitv bells[ENGINE_LANES_MAX + 1];
    if ((lanes->no_waitv || lanes->held) && timeout_ns > ENGINE_LANE_NAP_NS) {
        timeout_ns = ENGINE_LANE_NAP_NS;
    }
    if (!lanes->no_waitv) {
        const uint32_t        n     = bells_of(lanes, own, word, bells);
        const int64_t         until = role_mono_ns() + timeout_ns;
        const struct timespec at    = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
        const long            rc    = syscall(SYS_futex_waitv, bells, n, 0, &at, CLOCK_MONOTONIC);
        lanes->no_waitv             = rc < 0 && errno != EAGAIN && errno != EINTR && errno != ETIMEDOUT;
        doorbell_disarm(own);
    } else {
        doorbell_wait(own, word, timeout_ns);
    }
    engine_lanes_disarm(lanes);
}
