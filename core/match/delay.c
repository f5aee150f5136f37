#include "core/match/delay.h"

#include <assert.h>
#include <string.h>

#define TABLE_NONE UINT32_MAX
#define FEED_WORDS ((DELAY_FEED_BODY_MAX + DELAY_FEED_TAIL_MAX) / 8)

typedef struct delay_line { /* a ring in slots[first .. first + depth) */
    int64_t  latency_ns;
    int64_t  now_ns; /* of the last push */
    uint64_t rng;
    uint32_t table; /* of tables, TABLE_NONE = constant */
    uint32_t depth;
    uint32_t first;
    uint32_t head; /* position in the ring of the oldest message */
    uint32_t count;
    uint32_t reserved;
} delay_line_t;

typedef struct delay_feed { /* beside each slot of FEED: what its message is */
    uint32_t type;
    uint32_t tail_count;
    uint64_t words[FEED_WORDS]; /* body, then tail at DELAY_FEED_BODY_MAX */
} delay_feed_t;

struct delay { /* then: slots, tables, feed messages */
    uint64_t     seq;
    uint64_t     tables_at; /* offsets in the block */
    uint64_t     feeds_at;
    int64_t      due_ns[DELAY_LEGS]; /* of the last message of a connection, which has the number of its first leg */
    delay_line_t line[DELAY_LEGS];
    delay_msg_t  slots[];
};

static const char *const names[DELAY_LEGS] = {"place", "amend", "cancel", "ack", "fill", "feed"};

const char *delay_leg_name(delay_leg_t leg)
{
    assert((unsigned)leg < DELAY_LEGS);
    return names[leg];
}

size_t delay_align(void)
{
    return _Alignof(delay_t);
}

static const latency_t *delay_table(const delay_t *delay, uint32_t table)
{
    return (const latency_t *)((const char *)delay + delay->tables_at) + table;
}
static delay_feed_t *delay_feeds(delay_t *delay)
{
    return (delay_feed_t *)((char *)delay + delay->feeds_at);
}

/* Where the parts lie; 0 and a sentence when cfg is out of range. */
static size_t delay_layout(const delay_cfg_t *cfg, delay_t *head)
{
    size_t slots = 0, tables = 0;
    for (unsigned leg = 0; leg < DELAY_LEGS; leg++) {
        if (cfg->drawn[leg] == NULL && (cfg->latency_ns[leg] < 0 || cfg->latency_ns[leg] > DELAY_LATENCY_MAX_NS)) {
            err_set(ERR_ARG, "delay: %s latency is %lld ns, limit 0..%lld", names[leg], (long long)cfg->latency_ns[leg],
                    DELAY_LATENCY_MAX_NS);
            return 0;
        }
        if ((cfg->depth[leg] == 0 && leg != DELAY_FEED) || cfg->depth[leg] > DELAY_DEPTH_MAX) {
            err_set(ERR_ARG, "delay: %s depth is %u messages, limit 1..%u", names[leg], cfg->depth[leg],
                    DELAY_DEPTH_MAX);
            return 0;
        }
        slots += cfg->depth[leg];
        tables += cfg->drawn[leg] != NULL;
    }
    head->tables_at = sizeof(delay_t) + slots * sizeof(delay_msg_t);
    head->feeds_at  = head->tables_at + tables * sizeof(latency_t);
    return head->feeds_at + cfg->depth[DELAY_FEED] * sizeof(delay_feed_t);
}

size_t delay_footprint(const delay_cfg_t *cfg)
{
    delay_t head;
    return delay_layout(cfg, &head);
}

delay_t *delay_new(void *mem, const delay_cfg_t *cfg)
{
    delay_t      head  = {0};
    const size_t bytes = delay_layout(cfg, &head);
    if (bytes == 0) {
        return NULL;
    }
    memset(mem, 0, bytes);
    delay_t *delay   = mem;
    delay->tables_at = head.tables_at;
    delay->feeds_at  = head.feeds_at;
    uint32_t first = 0, tables = 0;
    for (unsigned leg = 0; leg < DELAY_LEGS; leg++) {
        delay->due_ns[leg] = INT64_MIN;
        delay->line[leg]   = (delay_line_t){.latency_ns = cfg->latency_ns[leg],
                                            .now_ns     = INT64_MIN,
                                            .rng        = cfg->seed + (uint64_t)leg * UINT64_C(0xD1B54A32D192ED03),
                                            .table      = TABLE_NONE,
                                            .depth      = cfg->depth[leg],
                                            .first      = first};
        if (cfg->drawn[leg] != NULL) {
            memcpy((latency_t *)((char *)delay + delay->tables_at) + tables, cfg->drawn[leg], sizeof(latency_t));
            delay->line[leg].table = tables++;
        }
        first += cfg->depth[leg];
    }
    return delay;
}

/* A slot at the tail of the leg with its due time set; NULL, *err and nothing changed on failure. */
static delay_msg_t *delay_enter(delay_t *delay, delay_leg_t leg, int64_t now_ns, err_t *err)
{
    delay_line_t *line = &delay->line[leg];
    int64_t      *last = &delay->due_ns[leg == DELAY_FILL ? DELAY_ACK : leg];
    uint64_t      rng  = line->rng;
    int64_t       due_ns;
    if (now_ns < line->now_ns) {
        *err = err_set(ERR_STATE, "delay: sent at %lld ns on leg %s, which is at %lld already", (long long)now_ns,
                       names[leg], (long long)line->now_ns);
        return NULL;
    }
    if (line->count == line->depth) {
        *err = ERR_FULL;
        return NULL;
    }
    const int64_t latency_ns =
        line->table == TABLE_NONE ? line->latency_ns : latency_draw(delay_table(delay, line->table), &rng);
    if (__builtin_add_overflow(now_ns, latency_ns, &due_ns)) {
        *err =
            err_set(ERR_RANGE, "delay: due time %lld + %lld ns, limit int64", (long long)now_ns, (long long)latency_ns);
        return NULL;
    }
    due_ns           = due_ns < *last ? *last : due_ns;
    *last            = due_ns;
    line->rng        = rng;
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
    static const delay_leg_t legs[] = {
        [ORDER_ACTION_NEW] = DELAY_PLACE, [ORDER_ACTION_REPLACE] = DELAY_AMEND, [ORDER_ACTION_CANCEL] = DELAY_CANCEL};
    if (req->action < ORDER_ACTION_NEW || req->action > ORDER_ACTION_CANCEL) {
        return err_set(ERR_ARG, "delay: order request %llu has action %u, limit 1..3",
                       (unsigned long long)req->cl_ord_id, req->action);
    }
    err_t        err;
    delay_msg_t *msg = delay_enter(delay, legs[req->action], now_ns, &err);
    if (msg != NULL) {
        msg->req = *req;
    }
    return err;
}

err_t delay_push_report(delay_t *delay, int64_t now_ns, const exec_report_t *report)
{
    err_t        err;
    delay_msg_t *msg = delay_enter(delay, report->exec_type == EXEC_TYPE_TRADE ? DELAY_FILL : DELAY_ACK, now_ns, &err);
    if (msg != NULL) {
        msg->report = *report;
    }
    return err;
}

/* Bytes of an element of the tail; 0 = no message of a feed. */
static size_t feed_tail_size(msg_type_t type)
{
    switch ((int)type) {
    case MSG_BOOK_UPDATE: return sizeof(level_t);
    case MSG_MBO_UPDATE: return sizeof(mbo_entry_t);
    case MSG_TRADE:
    case MSG_TOP:
    case MSG_FEED_STATE: return 1;
    default: return 0;
    }
}

err_t delay_push_feed(delay_t *delay, int64_t now_ns, const msg_t *msg)
{
    const size_t size = feed_tail_size(msg->type);
    if (size == 0 || msg->tail_count * size > DELAY_FEED_TAIL_MAX) {
        return err_set(ERR_ARG, "delay: %s with %u elements is no message of a feed", msg_type_str(msg->type),
                       msg->tail_count);
    }
    err_t              err;
    const delay_msg_t *slot = delay_enter(delay, DELAY_FEED, now_ns, &err);
    if (slot != NULL) {
        delay_feed_t *feed = &delay_feeds(delay)[slot - delay->slots - delay->line[DELAY_FEED].first];
        feed->type         = msg->type;
        feed->tail_count   = msg->tail_count;
        memcpy(feed->words, msg->body, msg_body_size(msg->type));
        if (msg->tail_count > 0) {
            memcpy((char *)feed->words + DELAY_FEED_BODY_MAX, msg->tail, msg->tail_count * size);
        }
    }
    return err;
}

uint32_t delay_room(const delay_t *delay, delay_leg_t leg)
{
    assert((unsigned)leg < DELAY_LEGS);
    return delay->line[leg].depth - delay->line[leg].count;
}

int64_t delay_slowest_ns(const delay_t *delay, delay_leg_t leg)
{
    const delay_line_t *line = &delay->line[leg];
    return line->table == TABLE_NONE ? line->latency_ns : latency_slowest(delay_table(delay, line->table));
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
    *msg = *head;
    if (leg == DELAY_FEED) {
        const delay_feed_t *feed = &delay_feeds(delay)[line->head];
        msg->feed                = (msg_t){.type       = (msg_type_t)feed->type,
                                           .tail_count = feed->tail_count,
                                           .body       = feed->words,
                                           .tail       = (const char *)feed->words + DELAY_FEED_BODY_MAX};
    }
    line->head = line->head + 1 == line->depth ? 0 : line->head + 1;
    line->count--;
    return ERR_OK;
}

_Static_assert(sizeof(book_update_t) <= DELAY_FEED_BODY_MAX && sizeof(mbo_update_t) <= DELAY_FEED_BODY_MAX &&
                   sizeof(trade_t) <= DELAY_FEED_BODY_MAX && sizeof(top_t) <= DELAY_FEED_BODY_MAX &&
                   sizeof(feed_state_t) <= DELAY_FEED_BODY_MAX,
               "a market message fits its slot");
_Static_assert(BOOK_UPDATE_MAX_LEVELS * sizeof(level_t) <= DELAY_FEED_TAIL_MAX &&
                   MBO_UPDATE_MAX_ENTRIES * sizeof(mbo_entry_t) <= DELAY_FEED_TAIL_MAX,
               "and so does its tail");
_Static_assert(sizeof(delay_t) % _Alignof(delay_msg_t) == 0 && sizeof(delay_msg_t) % _Alignof(latency_t) == 0 &&
                   sizeof(latency_t) % _Alignof(delay_feed_t) == 0,
               "parts follow each other");
