#include "core/match/delay.h"

#include <assert.h>
#include <string.h>

typedef struct delay_line { /* a ring in slots[first .. first + depth) */
    int64_t  latency_ns;
    int64_t  now_ns; /* of the last push */
    uint32_t depth;
    uint32_t first;
    uint32_t head; /* position in the ring of the oldest message */
    uint32_t count;
} delay_line_t;

struct delay {
    uint64_t     seq;
    delay_line_t line[DELAY_LEGS];
    delay_msg_t  slots[];
};

size_t delay_align(void)
{
    return _Alignof(delay_t);
}

size_t delay_footprint(const delay_cfg_t *cfg)
{
    static const char *const names[DELAY_LEGS] = {"place", "cancel", "report"};
    size_t                   slots             = 0;
    for (unsigned leg = 0; leg < DELAY_LEGS; leg++) {
        if (cfg->latency_ns[leg] < 0 || cfg->latency_ns[leg] > DELAY_LATENCY_MAX_NS) {
            err_set(ERR_ARG, "delay: %s latency is %lld ns, limit 0..%lld", names[leg], (long long)cfg->latency_ns[leg],
                    DELAY_LATENCY_MAX_NS);
            return 0;
        }
        if (cfg->depth[leg] == 0 || cfg->depth[leg] > DELAY_DEPTH_MAX) {
            err_set(ERR_ARG, "delay: %s depth is %u messages, limit 1..%u", names[leg], cfg->depth[leg],
                    DELAY_DEPTH_MAX);
            return 0;
        }
        slots += cfg->depth[leg];
    }
    return sizeof(delay_t) + slots * sizeof(delay_msg_t);
}

delay_t *delay_new(void *mem, const delay_cfg_t *cfg)
{
    const size_t bytes = delay_footprint(cfg);
    if (bytes == 0) {
        return NULL;
    }
    memset(mem, 0, bytes);
    delay_t *delay = mem;
    uint32_t first = 0;
    for (unsigned leg = 0; leg < DELAY_LEGS; leg++) {
        delay->line[leg] = (delay_line_t){
            .latency_ns = cfg->latency_ns[leg], .now_ns = INT64_MIN, .depth = cfg->depth[leg], .first = first};
        first += cfg->depth[leg];
    }
    return delay;
}

/* A slot at the tail of the leg with its due time set; NULL, *err and nothing changed on failure. */
static delay_msg_t *delay_enter(delay_t *delay, delay_leg_t leg, int64_t now_ns, err_t *err)
{
    delay_line_t *line = &delay->line[leg];
    int64_t       due_ns;
    if (now_ns < line->now_ns) {
        *err = err_set(ERR_STATE, "delay: sent at %lld ns on leg %d, which is at %lld already", (long long)now_ns,
                       (int)leg, (long long)line->now_ns);
        return NULL;
    }
    if (__builtin_add_overflow(now_ns, line->latency_ns, &due_ns)) {
        *err = err_set(ERR_RANGE, "delay: due time %lld + %lld ns, limit int64", (long long)now_ns,
                       (long long)line->latency_ns);
        return NULL;
    }
    if (line->count == line->depth) {
        *err = ERR_FULL;
        return NULL;
    }
    delay_msg_t *msg = &delay->slots[line->first + (line->head + line->count) % line->depth];
    line->count++;
    line->now_ns = now_ns;
    msg->due_ns  = due_ns;
    msg->seq     = ++delay->seq;
    msg->leg     = leg;
    *err         = ERR_OK;
    return msg;
}

err_t delay_push_req(delay_t *delay, int64_t now_ns, const order_req_t *req)
{
    if (req->action < ORDER_ACTION_NEW || req->action > ORDER_ACTION_CANCEL) {
        return err_set(ERR_ARG, "delay: order request %llu has action %u, limit 1..3",
                       (unsigned long long)req->cl_ord_id, req->action);
    }
    err_t        err;
    delay_msg_t *msg = delay_enter(delay, req->action == ORDER_ACTION_NEW ? DELAY_PLACE : DELAY_CANCEL, now_ns, &err);
    if (msg != NULL) {
        msg->req = *req;
    }
    return err;
}

err_t delay_push_report(delay_t *delay, int64_t now_ns, const exec_report_t *report)
{
    err_t        err;
    delay_msg_t *msg = delay_enter(delay, DELAY_REPORT, now_ns, &err);
    if (msg != NULL) {
        msg->report = *report;
    }
    return err;
}

uint32_t delay_room(const delay_t *delay, delay_leg_t leg)
{
    assert((unsigned)leg < DELAY_LEGS);
    return delay->line[leg].depth - delay->line[leg].count;
}

/* The earliest head by (due, order of entry), DELAY_LEGS when all lines are empty. */
static unsigned delay_first(const delay_t *delay)
{
    unsigned           best = DELAY_LEGS;
    const delay_msg_t *head = NULL;
    for (unsigned leg = 0; leg < DELAY_LEGS; leg++) {
        const delay_line_t *line = &delay->line[leg];
        if (line->count == 0) {
            continue;
        }
        const delay_msg_t *msg = &delay->slots[line->first + line->head];
        if (head == NULL || msg->due_ns < head->due_ns || (msg->due_ns == head->due_ns && msg->seq < head->seq)) {
            best = leg;
            head = msg;
        }
    }
    return best;
}

int64_t delay_due_ns(const delay_t *delay)
{
    const unsigned leg = delay_first(delay);
    return leg == DELAY_LEGS ? INT64_MAX : delay->slots[delay->line[leg].first + delay->line[leg].head].due_ns;
}

err_t delay_pop(delay_t *delay, int64_t now_ns, delay_msg_t *msg)
{
    const unsigned leg = delay_first(delay);
    if (leg == DELAY_LEGS) {
        return ERR_EMPTY;
    }
    delay_line_t      *line = &delay->line[leg];
    const delay_msg_t *head = &delay->slots[line->first + line->head];
    if (head->due_ns > now_ns) {
        return ERR_EMPTY;
    }
    *msg       = *head;
    line->head = line->head + 1 == line->depth ? 0 : line->head + 1;
    line->count--;
    return ERR_OK;
}
