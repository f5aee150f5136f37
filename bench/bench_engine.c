/* What the whole engine costs: from a market data message to the order that it caused, every check on; with 10 and with
 * 10,000 instruments; with a million open orders; and a closed loop on one thread with a venue that fills at once.
 *
 * The strategy is `probe`: one IOC order for each book update that it sees. The venue is a few lines here: it acknowledges
 * the order and fills it at its price, in two EXEC_REPORTs, so that order state, exposure, portfolio and loss limits do
 * their whole work too. Time is counted, not read: each message comes STEP_NS after the one before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/bench.h"
#include "core/engine/engine_view.h"
#include "core/types/hash.h"
#include "core/types/ids.h"
#include "ipc/message.h"
#include "ipc/record.h"
#include "ipc/ring_lossless.h"

#define STEP_NS (11 * NS_PER_MS) /* 90 orders a second: nine tenths of the default rate of an account */
#define JRN_SLOTS 4096u
#define JRN_STRIDE ((RECORD_BYTES_MAX + RING_SLOT_HEAD + 63) / 64 * 64)
#define ORD_STRIDE 512u
#define PX_BASE INT64_C(6160000)
#define PX_TICK 10
#define PX_STEPS 32 /* best prices walk over so many ticks: no two orders of a window are equal (277) */

typedef struct rig {
    engine_t         *engine;
    engine_out_t      out;
    void             *arena, *handle, *jrn_mem, *ord_mem;
    size_t            bytes;
    lossless_writer_t jrn, ord;
    lossless_reader_t jrn_read, ord_read; /* take everything, and look at nothing */
    ring_cursor_t     jrn_taken, ord_taken;
    uint64_t         *rpt_seq; /* by instrument */
    int64_t          *best;    /* its bid */
    now_t             now;
    uint64_t          ticks, sequence, exec_id, orders, reports, denied, checksum;
    uint16_t          denied_with;
    uint32_t          instruments;
    _Alignas(8) uint8_t wire[MESSAGE_BYTES_MAX]; /* a message as it lies in a market data ring */
    size_t wire_len;
} rig_t;

/* ---- set-up -------------------------------------------------------------------------------------------------------- */
static err_t input(rig_t *r, msg_type_t type, const void *body)
{
    return engine_apply(r->engine, r->now, &(msg_t){.type = type, .body = body}, &r->out);
}

static void *memory(size_t bytes)
{
    void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mem == MAP_FAILED ? NULL : mem;
}

static err_t limits(rig_t *r, scope_t scope, uint32_t id1, uint32_t id2)
{
    limit_set_t   set = {.scope_type = (uint8_t)scope, .scope_id = id1, .scope_id2 = id2};
    risk_limits_t l;
    risk_limits_default(scope, &l);
    if (scope == SCOPE_ACCOUNT) {
        l.max_gross = l.max_net = l.max_open_value = l.max_day_loss = l.max_realised_loss = l.max_drawdown = INT64_C(1)
                                                                                                             << 60;
        l.value_w_max     = INT64_MAX / 4;
        l.max_open_orders = 1 << 21;
    }
    l.max_value = scope == SCOPE_ACCOUNT || scope == SCOPE_INSTRUMENT ? INT64_C(1) << 60 : 0;
    l.max_qty   = scope == SCOPE_INSTRUMENT || scope == SCOPE_ACCOUNT_INSTRUMENT ? 1000000 : 0;
    l.max_long  = l.max_short =
        scope == SCOPE_ACCOUNT_INSTRUMENT || scope == SCOPE_STRATEGY_INSTRUMENT ? INT64_C(1) << 40 : 0;
    if (scope == SCOPE_ACCOUNT_INSTRUMENT) {
        l.max_open_orders = 1 << 21;
    }
    memcpy(&set.max_qty, &l, RISK_SETUP_FIELDS * sizeof(int64_t));
    return input(r, MSG_LIMIT_SET, &set);
}

/* What a LIMIT_SET does not carry: a strategy that fills 90 orders a second would be stopped by 276. */
static err_t limit_strategy(rig_t *r)
{
    static const struct {
        uint32_t field;
        int64_t  value;
    } fields[]        = {{RISK_FIELD_rep_n, 1024}, {RISK_FIELD_rep_w_ns, NS_PER_S}};
    limit_change_t of = {.change_id = 1, .scope_type = SCOPE_STRATEGY, .scope_id = 1};
    err_t          err;
    of.step = LIMIT_STEP_BEGIN;
    err     = input(r, MSG_LIMIT_CHANGE, &of);
    of.step = LIMIT_STEP_SET;
    for (size_t i = 0; !err && i < sizeof fields / sizeof fields[0]; i++) {
        of.field = (uint16_t)fields[i].field;
        of.value = fields[i].value;
        err      = input(r, MSG_LIMIT_CHANGE, &of);
    }
    of.step = LIMIT_STEP_COMMIT;
    return err ? err : input(r, MSG_LIMIT_CHANGE, &of);
}

static err_t instrument(rig_t *r, uint32_t id)
{
    const instrument_def_t def  = {.instrument_id = id,
                                   .venue_id      = 1,
                                   .kind          = INSTRUMENT_LINEAR,
                                   .px_exp        = 2,
                                   .qty_exp       = 3,
                                   .money_exp     = 8,
                                   .settle_ccy    = ccy_pack("USDT"),
                                   .lot           = 1,
                                   .min_qty       = 1,
                                   .mult          = 1};
    const tick_band_t      band = {0, PX_TICK};
    char                   symbol[16];
    snprintf(symbol, sizeof symbol, "B%05u", id);
    err_t err = engine_apply(
        r->engine, r->now,
        &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def, .tail = &band, .tail_count = 1, .text = symbol}, &r->out);
    err = err ? err : limits(r, SCOPE_INSTRUMENT, id, 0);
    err = err ? err : limits(r, SCOPE_ACCOUNT_INSTRUMENT, 1, id);
    return err ? err : limits(r, SCOPE_STRATEGY_INSTRUMENT, 1, id);
}

static err_t control(rig_t *r, control_kind_t kind, scope_t scope, uint32_t id, int64_t value)
{
    return input(r, MSG_CONTROL,
                 &(control_t){.kind = (uint8_t)kind, .scope_type = (uint8_t)scope, .scope_id = id, .value = value});
}

static err_t rings(rig_t *r)
{
    const size_t jrn = ring_lossless_footprint(JRN_SLOTS, JRN_STRIDE);
    const size_t ord = ring_lossless_footprint(JRN_SLOTS, ORD_STRIDE);
    r->jrn_mem       = memory(jrn);
    r->ord_mem       = memory(ord);
    if (!r->jrn_mem || !r->ord_mem || !ring_lossless_new(r->jrn_mem, JRN_SLOTS, JRN_STRIDE) ||
        !ring_lossless_new(r->ord_mem, JRN_SLOTS, ORD_STRIDE)) {
        return err_set(ERR_LIMIT, "bench engine: no memory for rings");
    }
    err_t err = lossless_writer_join(&r->jrn, r->jrn_mem, jrn);
    err       = err ? err : lossless_writer_join(&r->ord, r->ord_mem, ord);
    err       = err ? err : lossless_reader_join(&r->jrn_read, r->jrn_mem, jrn, &r->jrn_taken, 0);
    err       = err ? err : lossless_reader_join(&r->ord_read, r->ord_mem, ord, &r->ord_taken, 0);
    lossless_writer_cursor(&r->jrn, &r->jrn_taken);
    lossless_writer_cursor(&r->ord, &r->ord_taken);
    return err;
}

/* What an engine needs so that everything may trade: an account, one strategy, limits, links. */
static err_t authorities(rig_t *r)
{
    const account_def_t account = {
        .account_id = 1, .tenant_id = 1, .ccy = ccy_pack("USDT"), .initial = INT64_C(1) << 60, .money_exp = 8};
    err_t err = input(r, MSG_ACCOUNT_DEF, &account);
    err       = err ? err : limits(r, SCOPE_ACCOUNT, 1, 0);
    err       = err ? err : limits(r, SCOPE_STRATEGY, 1, 0);
    err       = err ? err : limit_strategy(r);
    err       = err ? err : limits(r, SCOPE_VENUE, 1, 0);
    for (uint32_t id = 1; !err && id <= r->instruments; id++) {
        err = instrument(r, id);
    }
    err = err ? err : control(r, CONTROL_JOURNAL, SCOPE_GLOBAL, 0, 1);
    err = err ? err : control(r, CONTROL_CLOCK, SCOPE_GLOBAL, 0, 1);
    err = err ? err : control(r, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 1);
    return err ? err : control(r, CONTROL_SESSION, SCOPE_VENUE, 1, SESSION_OPEN);
}

/* The answer to the question that VENUE_LINK asked: no position; 151 is lifted. */
static err_t reconcile(rig_t *r)
{
    const out_rec_t *rec;
    uint64_t         request = 0;
    engine_out_t     asked   = r->out;
    const err_t      err     = control(r, CONTROL_VENUE_LINK, SCOPE_VENUE, 1, 1);
    asked.len                = r->out.len;
    for (uint32_t pos = 0; (rec = engine_out_next(&asked, &pos));) {
        if (rec->type == MSG_MASS_STATUS_REQUEST) {
            request = ((const mass_status_req_t *)(const void *)(rec + 1))->request_id;
        }
    }
    return err ? err
               : input(
                     r, MSG_MASS_STATUS,
                     &(mass_status_t){.kind = MASS_STATUS_END, .request_id = request, .account_id = 1, .venue_id = 1});
}

static void rig_close(rig_t *r)
{
    if (r->arena) {
        munmap(r->arena, r->bytes);
    }
    if (r->jrn_mem) {
        munmap(r->jrn_mem, ring_lossless_footprint(JRN_SLOTS, JRN_STRIDE));
    }
    if (r->ord_mem) {
        munmap(r->ord_mem, ring_lossless_footprint(JRN_SLOTS, ORD_STRIDE));
    }
    free(r->handle);
    free(r->out.buf);
    free(r->rpt_seq);
    free(r->best);
}

static engine_cfg_t rig_cfg(uint32_t instruments, uint32_t accounts, uint32_t orders)
{
    engine_cfg_t cfg = {.epoch           = 1,
                        .tenant_id       = 1,
                        .instruments_max = instruments,
                        .accounts_max    = accounts,
                        .orders_max      = orders,
                        .fills_max       = orders,
                        .stale_ns        = 3600 * NS_PER_S, /* counted time runs far ahead of ours */
                        .book            = {.window_ticks = 8192, .far_slots = 8192},
                        .strategy_count  = 1,
                        .strategies      = {{.ops = strategy_find("probe"), .cfg = {.account_id = 1}}}};
    risk_cfg_default(&cfg.risk);
    return cfg;
}

static err_t rig_open(rig_t *r, const engine_cfg_t *cfg)
{
    *r         = (rig_t){.now = {.mono_ns = NS_PER_S, .utc_ns = NS_PER_S}, .instruments = cfg->instruments_max};
    r->bytes   = engine_footprint(cfg);
    r->arena   = r->bytes ? memory(r->bytes) : NULL;
    r->handle  = aligned_alloc(64, (engine_handle_size() + 63) & ~(size_t)63);
    r->out     = (engine_out_t){.buf = aligned_alloc(64, ENGINE_OUT_MAX), .cap = ENGINE_OUT_MAX};
    r->rpt_seq = calloc(cfg->instruments_max + 1ull, sizeof *r->rpt_seq);
    r->best    = calloc(cfg->instruments_max + 1ull, sizeof *r->best);
    if (!r->arena || !r->handle || !r->out.buf || !r->rpt_seq || !r->best) {
        return err_wrap(ERR_LIMIT, "bench engine: an arena of %zu bytes", r->bytes);
    }
    memset(r->out.buf, 0, ENGINE_OUT_MAX);
    r->engine = engine_new(r->arena, cfg) ? engine_join(r->handle, r->arena) : NULL;
    err_t err = r->engine ? rings(r) : ERR_CONFIG;
    err       = err ? err : authorities(r);
    return err ? err : reconcile(r);
}

/* ---- messages ------------------------------------------------------------------------------------------------------ */
static void step(rig_t *r)
{
    r->now.mono_ns += STEP_NS;
    r->now.utc_ns += STEP_NS;
}

/* A book update that moves both best prices: what was best goes, what is best comes. As it lies in a ring. */
static err_t book_message(rig_t *r, uint32_t id)
{
    const int64_t was     = r->best[id];
    const int64_t bid     = PX_BASE + PX_TICK * (int64_t)(r->rpt_seq[id] % PX_STEPS);
    const level_t first[] = {{bid, 100000}, {bid - PX_TICK, 1000}, {bid + PX_TICK, 100000}, {bid + 2 * PX_TICK, 1000}};
    const level_t moved[] = {{was, 0}, {bid, 100000}, {was + PX_TICK, 0}, {bid + PX_TICK, 100000}};
    const book_update_t upd = {.instrument_id = id,
                               .flags   = BOOK_FLAG_FIRST | BOOK_FLAG_LAST | (was ? 0u : (uint32_t)BOOK_FLAG_SNAPSHOT),
                               .rpt_seq = ++r->rpt_seq[id],
                               .venue_seq   = r->rpt_seq[id],
                               .ts_event_ns = r->now.utc_ns,
                               .ts_recv_ns  = r->now.utc_ns,
                               .bid_count   = 2,
                               .ask_count   = 2};
    r->best[id]             = bid;
    return message_write(&(msg_t){.type = MSG_BOOK_UPDATE, .body = &upd, .tail = was ? moved : first, .tail_count = 4},
                         r->wire, sizeof r->wire, &r->wire_len);
}

/* A tick: best prices, no levels. The book behind it is LIVE and does not move; the tick is newer. */
static err_t tick_message(rig_t *r, uint32_t id)
{
    const int64_t bid = PX_BASE + PX_TICK * (int64_t)(r->ticks % PX_STEPS);
    const top_t   top = {.instrument_id = id,
                         .venue_seq     = r->rpt_seq[id] + ++r->ticks,
                         .ts_event_ns   = r->now.utc_ns,
                         .ts_recv_ns    = r->now.utc_ns,
                         .bid_px        = bid,
                         .bid_qty       = 100000,
                         .ask_px        = bid + PX_TICK,
                         .ask_qty       = 100000};
    return message_write(&(msg_t){.type = MSG_TOP, .body = &top}, r->wire, sizeof r->wire, &r->wire_len);
}

/* The batch of an input: its outputs behind it in jrn, what goes to the venue in ord as well; one commit each. */
static void batch_out(rig_t *r, msg_type_t type, size_t len)
{
    uint32_t         at = 0, sent = 0;
    const out_rec_t *rec;
    r->sequence++;
    for (uint32_t pos = 0; (rec = engine_out_next(&r->out, &pos));) {
        const record_head_t head  = {.kind = RECORD_OUTPUT, .source = RECORD_SOURCE_ENGINE};
        const msg_t         msg   = {.type = (msg_type_t)rec->type, .body = rec + 1};
        void               *slot  = lossless_slot(&r->jrn, ++at);
        size_t              bytes = 0;
        if (message_write(&msg, record_message(slot), MESSAGE_BYTES_MAX, &bytes) != ERR_OK) {
            r->denied++; /* never: the run fails */
        }
        lossless_meta(&r->jrn, at,
                      &(ring_meta_t){.len  = record_seal(slot, msg.type, (uint32_t)bytes, r->sequence, r->now, &head),
                                     .type = rec->type});
        if (rec->type == MSG_ORDER_REQUEST) {
            memcpy(lossless_slot(&r->ord, sent), record_message(slot), bytes);
            lossless_meta(&r->ord, sent++, &(ring_meta_t){.len = (uint32_t)bytes, .type = rec->type});
        }
    }
    const record_head_t head = {
        .output_hash = engine_output_hash(r->engine), .outputs = at, .kind = RECORD_INPUT, .source = RECORD_SOURCE_MD};
    lossless_meta(
        &r->jrn, 0,
        &(ring_meta_t){.len  = record_seal(lossless_slot(&r->jrn, 0), type, (uint32_t)len, r->sequence, r->now, &head),
                       .type = (uint16_t)type});
    lossless_commit(&r->jrn, at + 1);
    if (sent) {
        lossless_commit(&r->ord, sent);
    }
}

/* As the engine role does it: copied out of the ring into the journal's slot, verified there, applied from there. */
static err_t live_input(rig_t *r)
{
    void *at = record_message(lossless_slot(&r->jrn, 0));
    msg_t msg;
    memcpy(at, r->wire, r->wire_len);
    err_t err = message_read(MSG_BOOK_UPDATE, at, r->wire_len, &msg);
    err       = err ? err : engine_apply(r->engine, r->now, &msg, &r->out);
    batch_out(r, MSG_BOOK_UPDATE, r->wire_len);
    return err;
}

static err_t rings_room(rig_t *r)
{
    lossless_take_n(&r->jrn_read, (uint32_t)(r->jrn.next - r->jrn_read.next));
    lossless_take_n(&r->ord_read, (uint32_t)(r->ord.next - r->ord_read.next));
    return lossless_room(&r->jrn, 64) >= 64 && lossless_room(&r->ord, 64) >= 64
               ? ERR_OK
               : err_set(ERR_INTERNAL, "bench engine: no room in a ring that nobody reads");
}

/* ---- the venue ------------------------------------------------------------------------------------------------------ */
static bool order_out(rig_t *r, order_req_t *out)
{
    const out_rec_t *rec;
    for (uint32_t pos = 0; (rec = engine_out_next(&r->out, &pos));) {
        if (rec->type == MSG_ORDER_REQUEST) {
            memcpy(out, rec + 1, sizeof *out);
            return true;
        }
        if (rec->type == MSG_VERDICT && ((const verdict_t *)(const void *)(rec + 1))->code != 0) {
            r->denied_with = ((const verdict_t *)(const void *)(rec + 1))->code;
            r->denied++;
        }
    }
    return false;
}

static err_t venue_fills(rig_t *r, const order_req_t *req)
{
    exec_report_t report = {.cl_ord_id     = req->cl_ord_id,
                            .order_id_lo   = req->cl_ord_id,
                            .account_id    = req->account_id,
                            .strategy_id   = req->strategy_id,
                            .instrument_id = req->instrument_id,
                            .side          = req->side,
                            .px            = req->px,
                            .order_qty     = req->qty,
                            .leaves_qty    = req->qty,
                            .exec_type     = EXEC_TYPE_NEW,
                            .ord_status    = ORD_STATUS_NEW,
                            .ts_event_ns   = r->now.utc_ns,
                            .ts_recv_ns    = r->now.utc_ns};
    err_t         err    = input(r, MSG_EXEC_REPORT, &report);
    report.exec_type     = EXEC_TYPE_TRADE;
    report.ord_status    = ORD_STATUS_FILLED;
    report.exec_id_lo    = ++r->exec_id;
    report.last_px       = req->px;
    report.last_qty = report.cum_qty = req->qty;
    report.leaves_qty                = 0;
    r->reports += 2;
    return err ? err : input(r, MSG_EXEC_REPORT, &report);
}

/* ---- one event and one round ---------------------------------------------------------------------------------------- */
static err_t denied(const rig_t *r)
{
    return err_set(ERR_INTERNAL, "bench engine: an order was denied with %u, or none came", r->denied_with);
}

typedef struct samples {
    bench_series_t event, round;
} samples_t;

typedef enum how { /* an event comes in: with the batch of the input in jrn and ord, or without */
                   BOOK_JOURNALED,
                   BOOK_BARE,
                   TICK_BARE
} how_t;

/* s NULL: not measured. */
static err_t event(const bench_t *bench, rig_t *r, uint32_t id, how_t how, samples_t *s)
{
    order_req_t req;
    step(r);
    err_t err = how == TICK_BARE ? tick_message(r, id) : book_message(r, id);
    err       = err ? err : rings_room(r);
    msg_t msg;
    err = err ? err : message_read(how == TICK_BARE ? MSG_TOP : MSG_BOOK_UPDATE, r->wire, r->wire_len, &msg);
    const uint64_t begin = bench_begin();
    err = err ? err : how == BOOK_JOURNALED ? live_input(r) : engine_apply(r->engine, r->now, &msg, &r->out);
    const uint64_t sent = bench_end() - begin;
    if (err || !order_out(r, &req)) {
        return err ? err : denied(r);
    }
    const uint64_t back = bench_begin();
    err                 = venue_fills(r, &req);
    const uint64_t done = bench_end() - back;
    if (s) {
        bench_single(bench, &s->event, sent);
        bench_single(bench, &s->round, sent + done - bench->pair_ticks);
    }
    r->orders++;
    r->checksum = hash_u64(r->checksum, engine_output_hash(r->engine));
    return err;
}

static double report(const bench_t *bench, const char *name, samples_t *s, bench_series_t *series, const rig_t *r,
                     const char *extra)
{
    (void)s;
    double sum = 0;
    for (uint64_t i = 0; i < series->count; i++) {
        sum += series->value[i];
    }
    bench_report(bench, &(bench_result_t){.name     = name,
                                          .unit     = "ns",
                                          .regime   = "single",
                                          .on       = {"every check", "reservation", "output hash", extra},
                                          .series   = series,
                                          .checksum = r->checksum,
                                          .bytes    = (uint32_t)r->wire_len});
    return series->count ? sum / (double)series->count : 0;
}

static err_t run(const bench_t *bench, rig_t *r, uint32_t hot, uint64_t events, how_t how, samples_t *s)
{
    uint64_t random = bench->seed;
    err_t    err    = ERR_OK;
    for (uint64_t i = 0; !err && i < events; i++) {
        const uint32_t id = (uint32_t)(bench_random(&random) % hot) * (r->instruments / hot) + 1;
        err               = event(bench, r, id, how, i < events / 10 ? NULL : s);
    }
    return err;
}

/* First messages of all books, so that none is a snapshot later. */
static err_t warm(const bench_t *bench, rig_t *r)
{
    err_t err = ERR_OK;
    for (uint32_t id = 1; !err && id <= r->instruments; id++) {
        err = event(bench, r, id, BOOK_JOURNALED, NULL);
    }
    return err;
}

/* ---- parts ----------------------------------------------------------------------------------------------------------- */
static err_t bench_event(bench_t *bench)
{
    const engine_cfg_t cfg    = rig_cfg(8, 1, 65536);
    const uint64_t     events = bench->samples ? bench->samples : 100000;
    samples_t          s      = {0};
    rig_t              r;
    err_t              err = rig_open(&r, &cfg);
    err                    = err ? err : warm(bench, &r);
    err                    = err ? err : run(bench, &r, 8, events, BOOK_JOURNALED, &s);
    if (!err) {
        report(bench, "event: book update to order, journaled", &s, &s.event, &r, "jrn and ord batch");
        bench_bar(bench, false, bench_percentile(&s.event, 0.5), 500, "ns", "engine event p50, journal on");
        bench_bar(bench, false, bench_percentile(&s.event, 0.99), 2000, "ns", "engine event p99, journal on");
    }
    bench_free(&s.event);
    bench_free(&s.round);
    rig_close(&r);
    return err;
}

/* Shaped like WonderTrader's latency tool: one thread, a tick in, the strategy's order out to a mock venue; total time of
 * all ticks by their number. Its tick is best prices, as here in the first figure; it reads no book, checks no limit and
 * keeps no journal. Here every check is on and the venue's acknowledgement and fill come back before the next tick. The
 * second figure is the same with a book update of four levels as tick.
 * In the clock of tick-to-order: engine_apply of the message, from its verified form in memory to the order in the output
 * buffer, with mark, decision, the gate and its reservation, the order table, cash held, verdict and the hash of the
 * outputs. Not in it: reading the message from a ring and verifying it, the journal (see `event`), the venue's reports. */
static err_t bench_loop(bench_t *bench)
{
    const engine_cfg_t cfg    = rig_cfg(1, 1, 65536);
    const uint64_t     events = bench->samples ? bench->samples : 1000000;
    samples_t          s      = {0};
    samples_t          book   = {0};
    rig_t              r;
    err_t              err = rig_open(&r, &cfg);
    err                    = err ? err : warm(bench, &r);
    err                    = err ? err : run(bench, &r, 1, events / 4, BOOK_BARE, &book);
    err                    = err ? err : run(bench, &r, 1, events, TICK_BARE, &s);
    if (!err) {
        const double mean = report(bench, "closed loop: tick to order", &s, &s.event, &r, "order state");
        report(bench, "closed loop: tick, order, ack and fill back", &s, &s.round, &r, "portfolio, loss limits");
        report(bench, "closed loop: book update to order", &book, &book.event, &r, "order state");
        bench_bar(bench, false, mean, 175, "ns", "closed loop, mean of tick to order, every check on");
    }
    bench_free(&s.event);
    bench_free(&s.round);
    bench_free(&book.event);
    bench_free(&book.round);
    rig_close(&r);
    return err;
}

static uint64_t resident(void)
{
    unsigned long pages = 0, all = 0;
    FILE         *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%lu %lu", &all, &pages) != 2) {
            pages = 0;
        }
        fclose(f);
    }
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The same events over 10 instruments in an engine of `instruments`, and over all of them: what the size itself costs, and
 * what memory does when every book is cold. */
static err_t scaled(bench_t *bench, uint32_t instruments, double *hot, double *cold)
{
    const engine_cfg_t cfg    = rig_cfg(instruments, 1, 65536);
    const uint64_t     events = bench->samples ? bench->samples : 100000;
    samples_t          ten = {0}, all = {0};
    char               name[2][64];
    rig_t              r;
    err_t              err = rig_open(&r, &cfg);
    err                    = err ? err : warm(bench, &r);
    err                    = err ? err : run(bench, &r, 10, events, BOOK_JOURNALED, &ten);
    err                    = err ? err : run(bench, &r, instruments, events, BOOK_JOURNALED, &all);
    snprintf(name[0], sizeof name[0], "scale: %u instruments, 10 of them hot", instruments);
    snprintf(name[1], sizeof name[1], "scale: %u instruments, any", instruments);
    if (!err) {
        report(bench, name[0], &ten, &ten.event, &r, "jrn and ord batch");
        report(bench, name[1], &all, &all.event, &r, "jrn and ord batch");
        *hot  = bench_percentile(&ten.event, 0.5);
        *cold = bench_percentile(&all.event, 0.5);
        bench_note(bench, "%u instruments: arena %.1f MiB reserved, process %.1f MiB resident", instruments,
                   (double)r.bytes / 1048576, (double)resident() / 1048576);
    }
    bench_free(&ten.event);
    bench_free(&ten.round);
    bench_free(&all.event);
    bench_free(&all.round);
    rig_close(&r);
    return err;
}

static err_t bench_scale(bench_t *bench)
{
    double small = 0, small_any = 0, hot = 0, any = 0;
    err_t  err = scaled(bench, 10, &small, &small_any);
    err        = err ? err : scaled(bench, 1000, &hot, &any);
    err        = err ? err : scaled(bench, 10000, &hot, &any);
    if (!err && small > 0) {
        bench_bar(bench, false, hot / small, 1.5, "times", "event at 10,000 instruments by that at 10, 10 of them hot");
        bench_bar(bench, false, any / small, 1.5, "times", "the same, any of the 10,000: books are out of the cache");
    }
    return err;
}

/* A million open orders: what opening one and filling one costs then, and what all of it takes. */
static err_t bench_orders(bench_t *bench)
{
    const uint32_t     instruments = 10000, many = bench->samples ? 1u << 14 : 1000000u;
    const engine_cfg_t cfg = rig_cfg(instruments, 64, bench->samples ? 1u << 15 : 1u << 20);
    const order_cfg_t  of  = {.orders_max = cfg.orders_max, .fills_max = cfg.fills_max, .instruments_max = instruments};
    bench_series_t     open = {0}, fill = {0};
    uint64_t           random = bench->seed;
    void              *mem    = memory(order_footprint(&of));
    order_table_t     *orders = mem && order_new(mem, &of) ? order_join(mem) : NULL;
    const size_t       arena  = engine_footprint(&cfg);
    instrument_t       ins    = {0};
    if (!orders || !arena) {
        return err_wrap(ERR_LIMIT, "bench engine: a million orders");
    }
    for (uint32_t i = 1; i <= many; i++) {
        const uint32_t    id  = (uint32_t)(bench_random(&random) % instruments) + 1;
        const bool        buy = bench_random(&random) & 1;
        const order_req_t req = {.cl_ord_id     = cl_ord_id_make(1, 1, i),
                                 .tenant_id     = 1,
                                 .account_id    = 1 + id % 64,
                                 .strategy_id   = 1,
                                 .instrument_id = id,
                                 .action        = ORDER_ACTION_NEW,
                                 .side          = buy ? SIDE_BUY : SIDE_SELL,
                                 .ord_type      = ORD_TYPE_LIMIT,
                                 .tif           = TIF_GTC,
                                 .px  = PX_BASE + (buy ? -10 : 10) * (int64_t)(1 + bench_random(&random) % 64),
                                 .qty = 1000};
        const uint64_t    at  = bench_begin();
        order_open(orders, &req, req.px);
        bench_single(bench, &open, bench_end() - at);
    }
    for (uint32_t i = 0; i < many / 10; i++) {
        order_effect_t      effect;
        const exec_report_t report = {.cl_ord_id  = cl_ord_id_make(1, 1, bench_random(&random) % many + 1),
                                      .exec_type  = EXEC_TYPE_NEW,
                                      .cum_qty    = -1,
                                      .leaves_qty = -1};
        const uint64_t      at     = bench_begin();
        order_apply_exec(orders, &report, &ins, &effect);
        bench_single(bench, &fill, bench_end() - at);
    }
    const rig_t nothing = {.checksum = order_hash(0, orders)};
    report(bench, "orders: one more open order, up to a million", NULL, &open, &nothing, NULL);
    report(bench, "orders: a report for any of a million", NULL, &fill, &nothing, NULL);
    bench_bar(bench, false, (double)arena / 1073741824, 4, "GiB", "arena of 10,000 instruments, 64 accounts, %u orders",
              cfg.orders_max);
    bench_free(&open);
    bench_free(&fill);
    munmap(mem, order_footprint(&of));
    return ERR_OK;
}

const bench_part_t bench_engine_parts[] = {
    {"event", "a book update through decision, risk and order into jrn and ord, everything on", bench_event, false},
    {"loop", "a closed loop of one thread with a venue that fills at once, shaped like WonderTrader's latency tool",
     bench_loop, false},
    {"scale", "the same event with 10, 1,000 and 10,000 instruments", bench_scale, false},
    {"orders", "a million open orders: memory, opening one, a report of one", bench_orders, false},
    {0},
};
