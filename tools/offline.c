#include "tools/offline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include "tools/models.h"

#define TICK_NS (100 * NS_PER_MS)
#define DELAY_DEPTH 65536u
#define FEED_DEPTH 16384u /* market messages on their way to the engine: 18 MB */
#define SESSION_ID 1u     /* high half of the simulated venue's ids */

/* ---- memory: everything once, touched ---------------------------------------------------------------------------- */
static void *take(offline_t *run, size_t align, size_t bytes)
{
    const size_t a = align < 64 ? 64 : align;
    if (bytes == 0) {
        return NULL; /* a footprint that refused: its sentence stands */
    }
    void *mem = aligned_alloc(a, (bytes + a - 1) & ~(a - 1));
    if (!mem) {
        err_set(ERR_LIMIT, "out of memory: %zu bytes", bytes);
        return NULL;
    }
    memset(mem, 0, bytes);
    run->memory[run->memory_count++] = mem;
    run->bytes += bytes;
    return mem;
}

void offline_close(offline_t *run)
{
    while (run->memory_count) {
        free(run->memory[--run->memory_count]);
    }
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */
static void count_request(offline_t *run, const order_req_t *req)
{
    run->acted = true;
    run->counts.orders += req->action == ORDER_ACTION_NEW;
    run->counts.replaces += req->action == ORDER_ACTION_REPLACE;
    run->counts.cancels += req->action == ORDER_ACTION_CANCEL;
}

/* What the engine put out: requests go on their way, everything is counted. */
static err_t outputs(offline_t *run)
{
    uint32_t         pos = 0;
    const out_rec_t *rec;
    while ((rec = engine_out_next(&run->out, &pos))) {
        const void *body = rec + 1;
        switch ((msg_type_t)rec->type) {
        case MSG_ORDER_REQUEST: {
            const err_t err = delay_push_req(run->delay, run->now_ns, body);
            if (err) {
                return err_set(err, "more than %u requests on their way to the venue", DELAY_DEPTH);
            }
            count_request(run, body);
            break;
        }
        case MSG_VERDICT: {
            const verdict_t *verdict = body;
            if (verdict->code) {
                run->counts.denied++;
                run->counts.denied_by_code[verdict->code < OFFLINE_CODES ? verdict->code : 0]++;
            }
            break;
        }
        case MSG_EXEC_REPORT: {
            const exec_report_t *report = body;
            run->counts.fills += report->exec_type == EXEC_TYPE_TRADE;
            run->counts.rejected += report->exec_type == EXEC_TYPE_REJECTED;
            break;
        }
        case MSG_ALARM: {
            const alarm_t *alarm = body;
            run->counts.alarms++;
            run->counts.alarms_by_kind[alarm->kind < ALARM_KIND_COUNT ? alarm->kind : 0]++;
            break;
        }
        default: break; /* POSITION: for readers */
        }
    }
    return ERR_OK;
}

static err_t apply(offline_t *run, msg_type_t type, const void *body)
{
    if (run->tape) {
        run->tape(run->tape_ctx, run->now_ns, type, body);
    }
    const msg_t msg = {.type = type, .body = body};
    const now_t now = {.mono_ns = run->now_ns, .utc_ns = run->now_ns};
    const err_t err = engine_apply(run->engine, now, &msg, &run->out);
    return err ? err : outputs(run);
}

/* A record of set-up; no tape holds it, for it comes again with the market message that called for it. */
static err_t set_up(void *ctx, const msg_t *msg)
{
    offline_t  *run = ctx;
    const now_t now = {.mono_ns = run->now_ns, .utc_ns = run->now_ns};
    const err_t err = engine_apply(run->engine, now, msg, &run->out);
    return err ? err : outputs(run);
}

static err_t reports_home(offline_t *run)
{
    for (uint32_t i = 0; i < run->reports.count; i++) {
        run->reports.reports[i].ts_recv_ns = run->now_ns;
        const err_t err                    = delay_push_report(run->delay, run->now_ns, &run->reports.reports[i]);
        if (err) {
            return err_set(err, "more than %u reports on their way from the venue", DELAY_DEPTH);
        }
    }
    run->reports.count = 0;
    return ERR_OK;
}

err_t offline_to_engine(offline_t *run, const msg_t *msg)
{
    const now_t now = {.mono_ns = run->now_ns, .utc_ns = run->now_ns};
    uint32_t    id;
    int64_t     px;
    if (setup_first_price(msg, &id, &px) && !run->limited[id]) {
        const err_t err  = setup_price(&run->setup, engine_instrument(run->engine, id), px, set_up, run);
        run->limited[id] = true;
        if (err) {
            return err;
        }
    }
    if (msg->type == MSG_TRADE) {
        run->trades[((const trade_t *)msg->body)->instrument_id]++;
    }
    run->counts.messages++;
    const err_t err = engine_apply(run->engine, now, msg, &run->out);
    return err ? err : outputs(run);
}

/* A message that the venue has seen goes to the engine: at once, or by the feed's leg. */
static err_t feed_engine(offline_t *run, const msg_t *msg)
{
    if (!run->feed_delayed) {
        return offline_to_engine(run, msg);
    }
    const err_t err = delay_push_feed(run->delay, run->now_ns, msg);
    return err == ERR_FULL ? err_set(err, "more than %u market messages on their way to the engine", FEED_DEPTH) : err;
}

/* Market data that the generated venue made of its last event. */
static err_t generated_market(offline_t *run)
{
    msg_t msg;
    err_t err = reports_home(run);
    while (!err && flow_md_next(run->flow, &msg)) {
        err = feed_engine(run, &msg);
    }
    return err;
}

static err_t arrive(offline_t *run, const delay_msg_t *msg)
{
    run->now_ns = msg->due_ns;
    if (msg->leg == DELAY_ACK || msg->leg == DELAY_FILL) {
        return apply(run, MSG_EXEC_REPORT, &msg->report);
    }
    if (msg->leg == DELAY_FEED) {
        return offline_to_engine(run, &msg->feed);
    }
    if (run->flow) {
        const err_t err = flow_request(run->flow, &msg->req, run->now_ns, &run->reports);
        return err ? err : generated_market(run);
    }
    const err_t err = sim_venue_request(run->venue, &msg->req, run->now_ns, &run->reports);
    return err ? err : reports_home(run);
}

err_t offline_begin(offline_t *run, int64_t ts_ns)
{
    if (run->next_tick_ns == 0) {
        run->next_tick_ns = ts_ns + TICK_NS;
    }
    for (;;) {
        const int64_t due = delay_due_ns(run->delay);
        err_t         err;
        if (due <= ts_ns && due <= run->next_tick_ns) {
            delay_msg_t msg;
            err = delay_pop(run->delay, due, &msg);
            err = err ? err : arrive(run, &msg);
        } else if (run->next_tick_ns <= ts_ns) {
            run->now_ns = run->next_tick_ns;
            run->next_tick_ns += TICK_NS;
            const tick_t tick = {.mono_ns = run->now_ns, .utc_ns = run->now_ns};
            err               = apply(run, MSG_TICK, &tick);
        } else {
            run->now_ns = ts_ns;
            return ERR_OK;
        }
        if (err) {
            return err;
        }
    }
}

err_t offline_input(offline_t *run, int64_t now_ns, msg_type_t type, const void *body)
{
    run->now_ns = now_ns;
    return apply(run, type, body);
}

err_t offline_to_venue(offline_t *run, const msg_t *msg)
{
    const err_t err = sim_venue_market(run->venue, msg, run->now_ns, &run->reports);
    return err ? err : reports_home(run);
}

err_t offline_market(offline_t *run, const msg_t *msg)
{
    const err_t err = offline_to_venue(run, msg);
    return err ? err : feed_engine(run, msg);
}

err_t offline_generate(offline_t *run, int64_t until_ns)
{
    err_t   err = ERR_OK;
    int64_t due;
    while (!err && (due = flow_due_ns(run->flow)) <= until_ns) {
        run->acted        = false;
        const uint64_t t0 = __rdtsc();
        err               = offline_begin(run, due);
        if (!err) {
            err = flow_step(run->flow, due, &run->reports);
        }
        if (!err) {
            err = generated_market(run);
        }
        const uint64_t ticks = __rdtsc() - t0;
        histogram_record(run->event, ticks, histogram_count(run->event) + 1);
        if (run->acted) {
            histogram_record(run->decide, ticks, histogram_count(run->event));
        }
    }
    return err;
}

err_t offline_end(offline_t *run)
{
    const int64_t last = run->now_ns + run->answer_ns;
    err_t         err  = run->flow ? offline_generate(run, last) : ERR_OK;
    return err ? err : offline_begin(run, last);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */
static err_t engine_open(offline_t *run, uint32_t count, char *const *strategies, uint32_t strategy_count)
{
    engine_cfg_t cfg;
    const err_t  err = setup_engine_cfg(&run->setup, count, strategies, strategy_count, &cfg);
    if (err) {
        return err;
    }
    cfg.epoch    = (uint32_t)run->config->engine.epoch; /* one life: no BOOT is needed */
    void *mem    = take(run, engine_align(), engine_footprint(&cfg));
    void *handle = mem && engine_new(mem, &cfg) ? take(run, 64, engine_handle_size()) : NULL;
    run->engine  = handle ? engine_join(handle, mem) : NULL;
    run->out     = (engine_out_t){.buf = take(run, 64, ENGINE_OUT_MAX), .cap = ENGINE_OUT_MAX};
    return run->engine && run->out.buf ? ERR_OK : ERR_CONFIG;
}

static err_t control(offline_t *run, control_kind_t kind, uint32_t venue_id, int64_t value)
{
    const control_t record = {.kind = (uint8_t)kind, .scope_type = SCOPE_VENUE, .scope_id = venue_id, .value = value};
    return set_up(run, &(msg_t){.type = MSG_CONTROL, .body = &record});
}

/* Links come up before there is an account: between an engine and a venue of one process nothing is to be reconciled.
 */
static err_t instruments_open(offline_t *run, const instrument_t *ins, uint32_t count)
{
    err_t err = ERR_OK;
    for (uint32_t i = 0; !err && i < count; i++) {
        const msg_t    def   = {.type       = MSG_INSTRUMENT_DEF,
                                .body       = &ins[i].def,
                                .tail       = ins[i].bands,
                                .tail_count = ins[i].band_count,
                                .text       = ins[i].symbol};
        const uint32_t venue = ins[i].def.venue_id;
        err                  = set_up(run, &def);
        err                  = err ? err : control(run, CONTROL_VENUE_LINK, venue, 1);
        err                  = err ? err : control(run, CONTROL_SESSION, venue, SESSION_OPEN);
        err                  = err ? err : setup_instrument(&run->setup, &ins[i], set_up, run);
        if (!err && run->venue) {
            err = sim_venue_instrument(run->venue, &ins[i], &run->fee);
        }
    }
    return err ? err : setup_open(&run->setup, set_up, run);
}

/* Single orders are kept when the engine keeps some: an instrument that turns out to be by order has room for them. */
static mbo_cfg_t mbo_cfg(const config_t *c)
{
    return c->engine.mbo_books == 0 ? (mbo_cfg_t){0}
                                    : (mbo_cfg_t){.orders_max = (uint32_t)c->engine.mbo_orders,
                                                  .levels_max = (uint32_t)c->engine.mbo_levels};
}

static delay_t *delay_open(offline_t *run)
{
    models_delay_t models;
    if (models_delay(run->config, DELAY_DEPTH, FEED_DEPTH, &models)) {
        return NULL;
    }
    void *mem         = take(run, delay_align(), delay_footprint(&models.cfg));
    run->delay        = mem ? delay_new(mem, &models.cfg) : NULL;
    run->feed_delayed = models.cfg.depth[DELAY_FEED] > 0;
    models_delay_free(&models);
    if (run->delay) { /* placed, then changed or cancelled; the report; what the engine sees of it */
        int64_t slowest[DELAY_LEGS];
        for (delay_leg_t leg = DELAY_PLACE; leg < DELAY_LEGS; leg++) {
            slowest[leg] = delay_slowest_ns(run->delay, leg);
        }
        run->answer_ns = slowest[DELAY_PLACE] + max_i64(slowest[DELAY_AMEND], slowest[DELAY_CANCEL]) +
                         max_i64(slowest[DELAY_ACK], slowest[DELAY_FILL]) + slowest[DELAY_FEED];
    }
    return run->delay;
}

static err_t venue_open(offline_t *run, uint32_t count, const flow_cfg_t *flow_cfg)
{
    const config_t *c       = run->config;
    void           *mem     = delay_open(run);
    uint32_t        reports = FLOW_REPORTS_MAX;
    queue_cfg_t     queue;
    if (!mem || queue_parse(c->venue.queue, &queue)) {
        return ERR_CONFIG;
    }
    if (!flow_cfg) {
        const sim_venue_cfg_t cfg = {.session         = SESSION_ID,
                                     .instruments_max = count,
                                     .orders_max      = 4096,
                                     .fills_max       = 1024,
                                     .trades_take     = (uint32_t)c->venue.trades_take,
                                     .queue           = queue,
                                     .mbo             = mbo_cfg(c),
                                     .book            = {.window_ticks = (uint32_t)c->engine.book_window_ticks,
                                                         .far_slots    = (uint32_t)c->engine.book_far_levels}};
        mem                       = take(run, sim_venue_align(), sim_venue_footprint(&cfg));
        run->venue                = mem ? sim_venue_new(mem, &cfg) : NULL;
        reports                   = run->venue ? sim_venue_reports_max(run->venue) : 0;
    }
    run->reports = (exec_out_t){.reports = take(run, 64, reports * sizeof(exec_report_t)), .cap = reports};
    void *event  = take(run, 128, histogram_footprint());
    void *decide = take(run, 128, histogram_footprint());
    run->event   = event ? histogram_new(event, "ticks", 0) : NULL;
    run->decide  = decide ? histogram_new(decide, "ticks", 0) : NULL;
    return run->delay && run->reports.reports && run->event && run->decide ? ERR_OK : ERR_CONFIG;
}

static err_t open_all(offline_t *run, const instrument_t *ins, uint32_t count, char *const *strategies,
                      uint32_t strategy_count, const flow_cfg_t *flow_cfg)
{
    static instrument_t generated[FLOW_INSTRUMENTS];
    err_t               err;
    if ((err = setup_begin(&run->setup, run->config)) || (err = config_fees(run->config, &run->fee))) {
        return err;
    }
    if (flow_cfg) {
        flow_cfg_t with_fee = *flow_cfg;
        with_fee.fee        = run->fee;
        void *mem           = take(run, flow_align(), flow_footprint(&with_fee));
        run->flow           = mem ? flow_new(mem, &with_fee) : NULL;
        if (!run->flow) {
            return ERR_CONFIG;
        }
        count = flow_cfg->instrument_count;
        for (uint32_t i = 0; i < count; i++) {
            generated[i] = *flow_instrument(run->flow, i);
        }
        ins         = generated;
        run->now_ns = flow_cfg->start_ns;
    }
    if (count == 0) {
        return err_set(ERR_CONFIG, "no instrument");
    }
    for (uint32_t i = 0; i < count; i++) {
        if ((err = setup_currency(&run->setup, &ins[i]))) {
            return err;
        }
    }
    if ((err = venue_open(run, count, flow_cfg)) || (err = engine_open(run, count, strategies, strategy_count)) ||
        (err = instruments_open(run, ins, count))) {
        return err;
    }
    return run->flow ? generated_market(run) : ERR_OK;
}

err_t offline_open(offline_t *run, const config_t *config, const instrument_t *ins, uint32_t count,
                   char *const *strategies, uint32_t strategy_count, const flow_cfg_t *flow_cfg)
{
    *run            = (offline_t){.config = config};
    const err_t err = open_all(run, ins, count, strategies, strategy_count, flow_cfg);
    if (err) {
        offline_close(run);
    }
    return err;
}
