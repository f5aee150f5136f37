/* How long is a question to risk and its answer, over a lane? A client in this process, pinned, leases a lane of a
 * live instance with everything on (generated market, journal, publication), whose engine spins on the other CPU.
 * RISK_CHECK_REQUEST by template, for a small limit order at the best bid; the answer is read by view and must carry
 * the question's correlation id. Each round trip between two readings of the clock; windows of 200. A window in
 * which this process or the engine was switched out against its will is reported apart as X. p50 at most 1 us, p99
 * at most 5 us. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/instance.h"
#include "bench/pair.h"
#include "hwal_fbs.h"
#include "ipc/attach.h"
#include "ipc/lane.h"

#define WINDOW 200u

typedef struct ground {
    const bench_t   *bench;
    bench_instance_t instance;
    lane_client_t    client;
    pid_t            engine;
    risk_check_req_t question;
    uint64_t         asked, approved;
    uint16_t         last_code; /* of a refusal */
} ground_t;

/* What the engine's process was switched out against its will, so far. */
static uint64_t engine_switches(pid_t engine)
{
    char               path[48], line[128];
    unsigned long long switches = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)engine);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL &&
           sscanf(line, "nonvoluntary_ctxt_switches: %llu", &switches) != 1) {
    }
    if (file != NULL) {
        fclose(file);
    }
    return switches;
}

static uint32_t account_in(attach_t *a, uint64_t ccy)
{
    static attach_message_t message;
    records_reader_t        accounts;
    for (uint32_t i = 0; attach_records(a, RECORD_ID_ACCOUNTS, &accounts) && i < accounts.count; i++) {
        if (attach_record(a, &accounts, i, &message) == ERR_OK &&
            ((const account_record_t *)message.msg.body)->ccy == ccy) {
            return i + 1;
        }
    }
    return 0;
}

/* The smallest quantity on the lot whose value is twice the least that the venue takes. */
static int64_t small_qty(const instrument_def_t *def, int64_t px)
{
    const double per_lot = (double)def->lot * pow(10, -def->qty_exp) * (double)px * pow(10, -def->px_exp) *
                           (def->mult > 0 ? (double)def->mult * pow(10, -def->mult_exp) : 1);
    const int64_t by_value =
        (int64_t)ceil(2 * (double)def->min_notional * pow(10, -def->money_exp) / per_lot) * def->lot;
    const int64_t least = def->min_qty > def->lot ? def->min_qty : def->lot;
    return by_value > least ? by_value : least;
}

/* A small order at the best bid of the first book that has one. */
static err_t make_question(attach_t *a, risk_check_req_t *out)
{
    static attach_message_t message;
    records_reader_t        books;
    for (uint32_t i = 0; attach_records(a, RECORD_ID_BOOKS, &books) && i < books.count; i++) {
        const attach_instrument_t *instrument = attach_instrument(a, i + 1);
        if (instrument == NULL || attach_record(a, &books, i, &message) != ERR_OK ||
            ((const book_update_t *)message.msg.body)->bid_count == 0) {
            continue;
        }
        const instrument_def_t *def   = &instrument->def;
        const int64_t           px    = ((const level_t *)message.msg.tail)[0].px;
        const uint32_t          where = account_in(a, def->settle_ccy);
        *out                          = (risk_check_req_t){.px            = px,
                                                           .qty           = small_qty(def, px),
                                                           .account_id    = where,
                                                           .instrument_id = i + 1,
                                                           .side          = SIDE_BUY,
                                                           .ord_type      = ORD_TYPE_LIMIT,
                                                           .tif           = TIF_GTC};
        if (where != 0) {
            return ERR_OK;
        }
    }
    return err_set(ERR_NOT_FOUND, "lane: no instrument has a book and an account");
}

static err_t lease(ground_t *g)
{
    static attach_t a;
    err_t           err = attach_open(&a, g->instance.name, getuid());
    if (err != ERR_OK) {
        return err;
    }
    g->engine = a.role[ROLE_ENGINE].head != NULL ? a.role[ROLE_ENGINE].head->pid : 0;
    err       = make_question(&a, &g->question);
    err       = err ? err : lane_lease(&g->client, a.dir_fd, "bench", 5 * NS_PER_S);
    attach_close(&a);
    return err;
}

static err_t ask(ground_t *g)
{
    static const ring_meta_t meta = {.len = HWAL_RISK_CHECK_REQUEST_MSG_BYTES, .type = MSG_RISK_CHECK_REQUEST};
    _Alignas(8) uint8_t      request[HWAL_RISK_CHECK_REQUEST_MSG_BYTES];
    hwal_risk_check_request_msg_slot_t slot;
    ring_meta_t                        said;
    const void                        *payload;
    hwal_risk_check_request_msg_reserve(request, sizeof request, &slot);
    *slot.body         = g->question;
    slot.body->corr_lo = ++g->asked;
    err_t err          = lane_send(&g->client, &meta, request);
    while (err == ERR_OK) {
        err = lane_next(&g->client, &said, &payload);
        if (err == ERR_EMPTY) {
            err = ERR_OK;
        } else if (err == ERR_OK && said.type == MSG_RISK_CHECK_RESPONSE) {
            const risk_check_resp_t *answer = hwal_risk_check_response_msg_view(payload).body;
            g->approved += answer->approved;
            g->last_code = answer->code != 0 ? answer->code : g->last_code;
            return answer->corr_lo == g->asked ? ERR_OK : err_set(ERR_STATE, "lane: an answer to another question");
        }
    }
    return err_set(err, "lane: question %llu found no answer: the lane %s", (unsigned long long)g->asked,
                   lane_reason_str(lane_ended(&g->client)));
}

static err_t window(ground_t *g, bench_series_t series[2])
{
    uint64_t       ticks[WINDOW];
    const uint64_t before = pair_switches() + engine_switches(g->engine);
    err_t          err    = ERR_OK;
    for (uint32_t i = 0; !err && i < WINDOW; i++) {
        const uint64_t t0 = bench_begin();
        err               = ask(g);
        ticks[i]          = bench_end() - t0;
    }
    const bool apart = pair_switches() + engine_switches(g->engine) != before;
    for (uint32_t i = 0; !err && i < WINDOW; i++) {
        bench_single(g->bench, &series[apart], ticks[i]);
    }
    return err;
}

static void report(const bench_t *bench, bench_series_t series[2])
{
    for (int apart = 0; apart < 2; apart++) {
        if (series[apart].count != 0) {
            bench_report(bench, &(bench_result_t){.name   = "risk check over a lane",
                                                  .unit   = "ns",
                                                  .regime = apart ? "X" : "2 CPUs",
                                                  .on     = {"risk", "journal", "publication", "spin", "2000/s"},
                                                  .series = &series[apart],
                                                  .bytes  = HWAL_RISK_CHECK_REQUEST_MSG_BYTES});
        }
    }
    if (series[0].count != 0) {
        bench_bar(bench, false, bench_percentile(&series[0], 0.5), 1000, "ns", "risk check over a lane, p50");
        bench_bar(bench, false, bench_percentile(&series[0], 0.99), 5000, "ns", "risk check over a lane, p99");
    }
}

err_t bench_lane(bench_t *bench)
{
    static ground_t g;
    bench_series_t  series[2] = {{0}, {0}};
    const uint64_t  windows   = bench->samples ? bench->samples / WINDOW + 1 : 500;
    const int       other     = pair_other_cpu(bench->cpu);
    g                         = (ground_t){.bench = bench};
    if (other < 0) {
        return err_set(ERR_NOT_FOUND, "two CPUs are needed, this process may use one");
    }
    err_t err = bench_instance_spin(&g.instance, other);
    if (!err) {
        bench_sleep_ms(1000); /* its books begin */
        err = lease(&g);
    }
    for (uint64_t w = 0; !err && w < windows; w++) {
        bench_progress("risk checks, window", w + 1, windows);
        err = window(&g, series);
    }
    bench_progress(NULL, 0, 0);
    if (!err) {
        report(bench, series);
        bench_note(bench, "%llu of %llu approved; last refusal %u", (unsigned long long)g.approved,
                   (unsigned long long)g.asked, g.last_code);
    }
    if (g.client.cmd != NULL) {
        lane_leave(&g.client);
    }
    const err_t stopped = bench_instance_stop(&g.instance);
    bench_free(&series[0]);
    bench_free(&series[1]);
    return err ? err : stopped;
}
