/* offline: engine and simulated venue in one process, on the clock of the data: `hwal replay`, of
 * recorded captures or of a generated market.
 *
 *                                 ┌── delay: report ◀── exec reports ──┐
 *   market data ─▶ offline_begin  │                                    │
 *                  offline_market ├─▶ engine ─▶ orders ─▶ delay: place, cancel ─▶ simulated venue
 *                                 │      │                             ▲
 *                 (delay: feed)   └──────┼─────── recorded market ─────┘   (a generated venue makes it instead)
 *                                        └─▶ counts, denials by code, output hash
 *
 * At each receive time first everything that is due on its way arrives (requests at the venue, reports at the engine,
 * in order of time), then the venue sees the market message, then the engine: an order that arrives at the same
 * nanosecond as a market event was there first. The source waits for the engine; nothing is lost and nothing is
 * skipped.
 *
 * Accounts One for each settlement currency of the instruments, each strategy once in each. An account that the
 *          configuration does not name begins with 100,000 of its currency (10 of a coin). Limits that it does not
 *          name follow from that: an order at most 1/4 of it, a position all of it, a day's loss 1/10. Limits in
 *          quantities are set from them at the first price of an instrument.
 * Latency  of each leg by configuration (tools/models.h), constant or drawn: place, amend, cancel: from our decision to the
 *          venue as the feed's clock sees it (so it holds the feed's own delay too, as recorded); ack, fill: from the venue
 *          back to us; feed: market data reach the engine so much later than the venue, which matches on its own time, at
 *          the recorded one. A time stamp of the venue is never compared with ours.
 * Memory   all of it is allocated by offline_open, counted in bytes; after that nothing is.
 * Threads  one. */
#pragma once

#include "core/engine/engine.h"
#include "core/match/delay.h"
#include "core/match/flow.h"
#include "core/match/sim_venue.h"
#include "core/types/err.h"
#include "ipc/histogram.h"
#include "tools/config.h"
#include "tools/setup.h"

#define OFFLINE_INSTRUMENTS_MAX 64u
#define OFFLINE_CODES 300u

typedef struct offline_counts {
    uint64_t messages; /* market messages given to the engine */
    uint64_t orders;   /* NEW that passed risk and left       */
    uint64_t replaces;
    uint64_t cancels;
    uint64_t fills;
    uint64_t rejected; /* by the venue */
    uint64_t denied;   /* by risk      */
    uint64_t alarms;
    uint64_t denied_by_code[OFFLINE_CODES];
    uint64_t alarms_by_kind[ALARM_KIND_COUNT];
} offline_counts_t;

typedef struct offline {
    engine_t        *engine;
    sim_venue_t     *venue; /* recorded market, or NULL   */
    flow_t          *flow;  /* generated market, or NULL  */
    delay_t         *delay;
    engine_out_t     out;
    exec_out_t       reports;
    offline_counts_t counts;
    int64_t          next_tick_ns;
    int64_t          now_ns;
    bool             feed_delayed; /* market data go by the feed's leg */
    bool             acted;        /* an order action left since offline_begin */
    fee_cfg_t        fee;
    int64_t          answer_ns; /* an order placed now is answered, and the answer known, within it */
    const config_t  *config;
    uint64_t         bytes;
    histogram_t     *decide; /* TSC ticks: market message in to its last output record out, when an order came of it */
    histogram_t     *event;  /* TSC ticks: every market message */
    setup_t          setup;
    bool             limited[OFFLINE_INSTRUMENTS_MAX + 1]; /* instruments whose quantity limits were set */
    uint64_t         trades[OFFLINE_INSTRUMENTS_MAX + 1];  /* market trades given to the engine */
    void (*tape)(void *ctx, int64_t now_ns, msg_type_t type,
                 const void *body); /* told each input that is no market data */
    void    *tape_ctx;
    void    *memory[12]; /* what offline_close frees */
    uint32_t memory_count;
} offline_t;

/* offline_open: engine, accounts, limits and venue from configuration. ins: the instruments, ids 1..count in order.
 * strategies: specs "name:key=value,..." (NULL, 0: those of config, else both samples).
 * flow_cfg: NULL = recorded market, else the generated one (ins is then taken from it and may be NULL, 0).
 * On failure a sentence; nothing is left open. */
err_t offline_open(offline_t *run, const config_t *config, const instrument_t *ins, uint32_t count,
                   char *const *strategies, uint32_t strategy_count, const flow_cfg_t *flow_cfg);
void  offline_close(offline_t *run);

/* offline_begin: time moves to ts_ns: all that is due by then arrives, and a TICK every 100 ms. */
err_t offline_begin(offline_t *run, int64_t ts_ns);

/* offline_market: one recorded market message at the time of the last offline_begin: venue, then engine, then or when it
 * has come by the feed's leg. The two halves (of which offline_to_engine knows no feed latency) are there for who measures
 * one of them. */
err_t offline_market(offline_t *run, const msg_t *msg);
err_t offline_to_venue(offline_t *run, const msg_t *msg);
err_t offline_to_engine(offline_t *run, const msg_t *msg);

/* offline_input: one input that is no market data (a report, a tick), as it was told to a tape, at its time. */
err_t offline_input(offline_t *run, int64_t now_ns, msg_type_t type, const void *body);

/* offline_generate: steps of the generated market until until_ns; their messages go the same way. */
err_t offline_generate(offline_t *run, int64_t until_ns);

/* offline_end: go on for as long as an order placed now takes to be answered, so that what is on its way arrives; a
 * generated market goes on as well. Strategies may act meanwhile: what they send then stays on its way. */
err_t offline_end(offline_t *run);
