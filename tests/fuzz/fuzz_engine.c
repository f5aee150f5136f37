/* fuzz_engine: any input message, well formed or hostile, into the whole engine; the sanitizers and DCHECK watch.
 *
 * Input: a stream of bytes that is read as choices: the kind of the next message, then each of its fields, which is
 * plausible, an edge of its type or eight raw bytes. Bodies and tails lie in blocks of exactly their size.
 *
 * Checked after each message
 *   - equity by the ledger equals equity by the positions, for each account and currency; received = accepted +
 * rejected
 *   - outputs are whole records; a request that leaves stands behind its own verdict ACCEPTED, a NEW or REPLACE on no
 *     book that is broken or recovering, and no NEW under a global kill flag
 *   - buy_open and sell_open of each account and strategy are the sums over the order table
 *   - the risk question, put to one of the two engines only, answers what the order will meet
 *   - a twin on other memory (garbage before engine_new; its arena moves in the middle) answers the same bytes, and has
 *     the same hashes in the end: no pointer and no unwritten byte is in state or hash */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine/engine.h"
#include "core/engine/engine_view.h"
#include "core/risk/risk_private.h"
#include "core/types/ids.h"

#define INSTRUMENTS 4u
#define DEFINED 3u /* before the first message of the input */
#define ACCOUNTS 2u
#define STRATEGIES 3u
#define EPOCH 3u
#define LANES 2u
#define LANE (STRATEGIES + 1u) /* strategy and origin of ids of the first of them */
#define MUCH 1000000000000000
#define MESSAGES_MAX 400u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct world {
    uint8_t     *arena;
    engine_t    *engine;
    engine_out_t out;
} world_t;

typedef struct feed { /* the input, and what makes its messages plausible */
    const uint8_t *at, *end;
    int64_t        now, day;
    uint64_t       rpt_seq[INSTRUMENTS + 1];
    uint64_t       venue_seq, lane_seq, exec_seq, request_id; /* request_id: newest MASS_STATUS_REQUEST */
    lane_t         lanes[LANES];                              /* as they stand */
    uint64_t       lease;
    uint32_t       epoch;
    bool           killed; /* by CONTROL_KILL, globally */
} feed_t;

static size_t   arena_bytes;
static uint8_t *fresh[2];                           /* opened once, on zeros and on garbage */
static _Alignas(8) uint8_t outs[2][ENGINE_OUT_MAX]; /* of the engine under test and its twin */

/* ---- choices ----------------------------------------------------------------------------------------------------- */
static uint8_t byte(feed_t *f)
{
    return f->at < f->end ? *f->at++ : 0;
}

static uint64_t raw(feed_t *f)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) {
        v = v << 8 | byte(f);
    }
    return v;
}

/* Mostly centre and a little beside it. */
static int64_t number(feed_t *f, int64_t centre)
{
    static const int64_t edges[] = {0, 1, -1, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1, 1LL << 60};
    const uint8_t        b       = byte(f);
    if (b < 224) {
        return centre + (b & 31) - 16;
    }
    return b < 248 ? edges[b & 7] : (int64_t)raw(f);
}

static int64_t px(feed_t *f)
{
    return number(f, 1000);
}

/* A receive time: of now, of a backlog, or of no clock at all. */
static int64_t received(feed_t *f)
{
    const uint8_t b   = byte(f);
    const int64_t utc = f->now + f->day * NS_PER_DAY;
    return b < 192 ? utc : b < 248 ? utc - (b - 192) * 40 * NS_PER_MS : number(f, 0);
}

/* A small id, seldom any. */
static uint32_t id(feed_t *f, uint32_t max)
{
    const uint8_t b = byte(f);
    return b < 240 ? 1 + b % max : b < 252 ? b - 240 : (uint32_t)raw(f);
}

/* An id that risk has seen, mostly: of the lane, of a strategy, of the engine. */
static uint64_t cl_ord_id(feed_t *f)
{
    const uint8_t  b     = byte(f);
    const uint32_t epoch = f->epoch - (byte(f) >= 224); /* of this life, or of the one before */
    if (b >= 250) {
        return raw(f);
    }
    if (b >= 128) {
        return cl_ord_id_make(epoch, b % (STRATEGIES + 1), 1 + byte(f) % 8);
    }
    return cl_ord_id_make(epoch, b < 96 ? LANE : LANE + 1, f->lane_seq - (f->lane_seq ? b % 8 % f->lane_seq : 0));
}

/* ---- the engine -------------------------------------------------------------------------------------------------- */
static err_t apply(world_t *w, const feed_t *f, const msg_t *msg)
{
    return engine_apply(w->engine, (now_t){.mono_ns = f->now, .utc_ns = f->now + f->day * NS_PER_DAY}, msg, &w->out);
}

static void limit_set(world_t *w, scope_t scope_type, uint32_t id1, uint32_t id2, const risk_limits_t *limits)
{
    const feed_t f   = {.now = NS_PER_S};
    limit_set_t  set = {.scope_type = (uint8_t)scope_type, .scope_id = id1, .scope_id2 = id2};
    memcpy((char *)&set + offsetof(limit_set_t, max_qty), limits, RISK_SETUP_FIELDS * sizeof(int64_t));
    const err_t err = apply(w, &f, &(msg_t){.type = MSG_LIMIT_SET, .body = &set});
    assert(err == ERR_OK);
}

static void account_open(world_t *w, uint32_t account_id, const char *ccy, int8_t money_exp)
{
    const feed_t        f   = {.now = NS_PER_S};
    const account_def_t def = {
        .account_id = account_id, .tenant_id = 1, .ccy = ccy_pack(ccy), .initial = MUCH, .money_exp = money_exp};
    const err_t err = apply(w, &f, &(msg_t){.type = MSG_ACCOUNT_DEF, .body = &def});
    assert(err == ERR_OK);
}

static void limits_open(world_t *w)
{
    risk_limits_t l;
    for (uint32_t id1 = 1; id1 <= STRATEGIES + LANES; id1++) {
        risk_limits_default(SCOPE_STRATEGY, &l);
        l.rate_n = l.msg_n = 64;
        limit_set(w, SCOPE_STRATEGY, id1, 0, &l);
    }
    for (uint32_t id1 = 1; id1 <= ACCOUNTS; id1++) {
        risk_limits_default(SCOPE_ACCOUNT, &l);
        l.max_value = l.max_gross = l.max_net = l.max_open_value = l.max_day_loss = l.max_realised_loss =
            l.max_drawdown = l.value_w_max = MUCH;
        l.concentration_bp                 = BP;
        l.dup_n = l.rate_n = l.msg_n = 64;
        limit_set(w, SCOPE_ACCOUNT, id1, 0, &l);
    }
    risk_limits_default(SCOPE_VENUE, &l);
    l.rate_n = l.msg_n = 64;
    limit_set(w, SCOPE_VENUE, 1, 0, &l);
    for (uint32_t id2 = 1; id2 <= INSTRUMENTS; id2++) {
        risk_limits_default(SCOPE_INSTRUMENT, &l);
        l.max_qty = l.max_value = MUCH;
        l.max_spread_bp         = BP;
        limit_set(w, SCOPE_INSTRUMENT, id2, 0, &l);
        for (uint32_t id1 = 1; id1 <= STRATEGIES + LANES; id1++) {
            risk_limits_default(id1 <= ACCOUNTS ? SCOPE_ACCOUNT_INSTRUMENT : SCOPE_STRATEGY_INSTRUMENT, &l);
            l.max_long = l.max_short = MUCH;
            l.max_open_orders        = 0;
            limit_set(w, SCOPE_STRATEGY_INSTRUMENT, id1, id2, &l);
            l.max_qty         = MUCH;
            l.max_open_orders = 50;
            if (id1 <= ACCOUNTS) {
                limit_set(w, SCOPE_ACCOUNT_INSTRUMENT, id1, id2, &l);
            }
        }
    }
}

static void control(world_t *w, control_kind_t kind, scope_t scope, uint32_t scope_id)
{
    const feed_t    f   = {.now = NS_PER_S};
    const control_t c   = {.kind       = (uint8_t)kind,
                           .scope_type = (uint8_t)scope,
                           .scope_id   = scope_id,
                           .value      = kind == CONTROL_SESSION ? SESSION_OPEN : 1};
    const err_t     err = apply(w, &f, &(msg_t){.type = MSG_CONTROL, .body = &c});
    assert(err == ERR_OK);
}

static lane_t lane_open(uint32_t lane_id, uint64_t lease)
{
    return (lane_t){.lease       = lease,
                    .accounts    = 1u << 1 | 1u << 2,
                    .lane_id     = lane_id,
                    .tenant_id   = 1,
                    .strategy_id = LANE - 1 + lane_id,
                    .rights      = LANE_RIGHT_CHECK | LANE_RIGHT_ORDER,
                    .state       = LANE_OPEN};
}

static void instruments_open(world_t *w)
{
    static const uint8_t kinds[DEFINED] = {INSTRUMENT_SPOT, INSTRUMENT_LINEAR, INSTRUMENT_INVERSE};
    static const char   *names[DEFINED] = {"SPOT", "LINEAR", "INVERSE"};
    const feed_t         f              = {.now = NS_PER_S};
    const tick_band_t    band           = {.tick = 1};
    for (uint32_t i = 0; i < DEFINED; i++) {
        const instrument_def_t def = {.venue_id       = 1,
                                      .kind           = kinds[i],
                                      .allow_negative = kinds[i] == INSTRUMENT_LINEAR,
                                      .money_exp      = kinds[i] == INSTRUMENT_INVERSE ? 8 : 2,
                                      .mult           = 1,
                                      .lot            = 1,
                                      .min_qty        = 1,
                                      .settle_ccy     = ccy_pack(kinds[i] == INSTRUMENT_INVERSE ? "BTC" : "USD")};
        const err_t            err =
            apply(w, &f,
                  &(msg_t){.type = MSG_INSTRUMENT_DEF, .body = &def, .tail = &band, .tail_count = 1, .text = names[i]});
        assert(err == ERR_OK);
    }
}

static engine_cfg_t config(void)
{
    engine_cfg_t cfg = {.epoch           = EPOCH,
                        .tenant_id       = 1,
                        .instruments_max = INSTRUMENTS,
                        .accounts_max    = ACCOUNTS,
                        .orders_max      = 16,
                        .fills_max       = 16,
                        .strategy_count  = STRATEGIES,
                        .lanes_max       = LANES,
                        .stale_ns        = NS_PER_S,
                        .mbo_books       = 2,
                        .book            = {.window_ticks = 64, .far_slots = 64},
                        .mbo             = {.orders_max = 12, .levels_max = 8}};
    risk_cfg_default(&cfg.risk);
    cfg.risk.window_max = cfg.risk.value_window_max = 256;
    for (uint32_t i = 0; i < STRATEGIES; i++) {
        cfg.strategies[i].ops            = strategy_find(i == 1 ? "sma_cross" : "market_maker");
        cfg.strategies[i].cfg.account_id = i == 2 ? 2 : 1;
    }
    return cfg;
}

static world_t world_on(uint8_t *arena, uint8_t *out)
{
    world_t w = {.arena  = arena,
                 .engine = engine_join(malloc(engine_handle_size()), arena),
                 .out    = {.buf = out, .cap = ENGINE_OUT_MAX}};
    assert(w.engine != NULL);
    return w;
}

static uint8_t *arena_open(int fill)
{
    const engine_cfg_t cfg = config();
    arena_bytes            = (engine_footprint(&cfg) + engine_align() - 1) / engine_align() * engine_align();
    uint8_t *arena         = aligned_alloc(engine_align(), arena_bytes);
    memset(arena, fill, arena_bytes);
    const void *made = engine_new(arena, &cfg);
    assert(made != NULL);
    world_t w = world_on(arena, outs[0]);
    control(&w, CONTROL_VENUE_LINK, SCOPE_VENUE, 1); /* no account yet: nothing is asked */
    account_open(&w, 1, "USD", 2);
    account_open(&w, 2, "BTC", 8);
    limits_open(&w);
    instruments_open(&w);
    control(&w, CONTROL_JOURNAL, SCOPE_GLOBAL, 0);
    control(&w, CONTROL_CLOCK, SCOPE_GLOBAL, 0);
    control(&w, CONTROL_SESSION, SCOPE_VENUE, 1);
    const lane_t lane = lane_open(1, 1);
    const err_t  err  = apply(&w, &(feed_t){.now = NS_PER_S}, &(msg_t){.type = MSG_LANE, .body = &lane});
    assert(err == ERR_OK);
    free(w.engine);
    return arena;
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */
typedef union body {
    instrument_def_t def;
    book_update_t    book;
    mbo_update_t     mbo;
    trade_t          trade;
    top_t            top;
    order_req_t      req;
    exec_report_t    report;
    tick_t           tick;
    feed_state_t     state;
    control_t        control;
    boot_t           boot;
    account_def_t    account;
    limit_set_t      limits;
    mass_status_t    mass;
    lane_t           lane;
    uint8_t          bytes[256];
} body_t;

/* The tail: exactly as long as tail_count says, which is seldom not what the body says. */
static void book_update(feed_t *f, msg_t *m, book_update_t *u)
{
    const uint8_t b  = byte(f);
    u->instrument_id = id(f, INSTRUMENTS);
    const uint32_t i = u->instrument_id <= INSTRUMENTS ? u->instrument_id : 0;
    u->flags         = b < 64    ? (uint32_t)BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST
                       : b < 224 ? (uint32_t)BOOK_FLAG_FIRST | BOOK_FLAG_LAST
                                 : b & 7u;
    f->rpt_seq[i] += byte(f) < 250;
    f->venue_seq += byte(f) % 3;
    u->rpt_seq         = f->rpt_seq[i];
    u->venue_seq_first = u->venue_seq = byte(f) < 252 ? f->venue_seq : raw(f);
    u->ts_recv_ns                     = received(f);
    u->bid_count                      = byte(f) % 4;
    u->ask_count                      = byte(f) % 4;
    const uint32_t there              = (uint32_t)u->bid_count + u->ask_count;
    if (byte(f) >= 252) {
        u->ask_count = (uint16_t)raw(f);
    }
    m->tail_count = byte(f) < 252 ? there : byte(f) % 8;
    level_t *tail = m->tail_count ? malloc(m->tail_count * sizeof *tail) : NULL;
    for (uint32_t k = 0; k < m->tail_count; k++) {
        tail[k].px  = number(f, k < u->bid_count ? 983 : 1018);
        tail[k].qty = byte(f) < 240 ? byte(f) : number(f, 100);
    }
    m->tail = tail;
}

/* Single orders with few ids, so that entries often name one that stands. */
static void mbo_update(feed_t *f, msg_t *m, mbo_update_t *u)
{
    const uint8_t b  = byte(f);
    u->instrument_id = id(f, INSTRUMENTS);
    const uint32_t i = u->instrument_id <= INSTRUMENTS ? u->instrument_id : 0;
    u->flags         = b < 64    ? (uint32_t)BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST
                       : b < 224 ? (uint32_t)BOOK_FLAG_FIRST | BOOK_FLAG_LAST
                                 : b & 7u;
    f->rpt_seq[i] += byte(f) < 250;
    f->venue_seq += byte(f) % 3;
    u->rpt_seq        = f->rpt_seq[i];
    u->venue_seq      = byte(f) < 252 ? f->venue_seq : raw(f);
    u->ts_recv_ns     = received(f);
    u->entry_count    = byte(f) % 5;
    m->tail_count     = byte(f) < 252 ? u->entry_count : byte(f) % 8;
    u->entry_count    = byte(f) < 252 ? u->entry_count : (uint16_t)raw(f);
    mbo_entry_t *tail = m->tail_count ? malloc(m->tail_count * sizeof *tail) : NULL;
    for (uint32_t k = 0; k < m->tail_count; k++) {
        const uint8_t what = byte(f);
        const uint8_t side = 1 + (what >> 6 & 1);
        tail[k]            = (mbo_entry_t){.order_id = byte(f) % 16,
                                           .px       = number(f, side == SIDE_BUY ? 983 : 1018),
                                           .qty      = byte(f) < 240 ? byte(f) : number(f, 100),
                                           .action   = what < 128 ? MBO_ADD : what % 6,
                                           .side     = what < 250 ? side : what};
    }
    m->tail = tail;
}

static void instrument_def(feed_t *f, msg_t *m, instrument_def_t *d)
{
    static const char *const names[] = {"NEW", "SPOT", "", "A SYMBOL WITH BLANKS", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", NULL};
    *d                               = (instrument_def_t){.instrument_id  = byte(f) < 128 ? 0 : id(f, INSTRUMENTS),
                                                          .venue_id       = (uint16_t)id(f, 2),
                                                          .kind           = (uint8_t)id(f, 3),
                                                          .allow_negative = byte(f) >= 192,
                                                          .px_exp         = (int8_t)(byte(f) % 16 - 1),
                                                          .qty_exp        = (int8_t)(byte(f) % 16 - 1),
                                                          .money_exp      = (int8_t)(byte(f) < 192 ? 2 : byte(f)),
                                                          .mult_exp       = (int8_t)(byte(f) < 192 ? 0 : byte(f)),
                                                          .settle_ccy     = byte(f) < 240 ? ccy_pack("USD") : raw(f),
                                                          .lot            = number(f, 17),
                                                          .min_qty        = number(f, 17),
                                                          .min_notional   = number(f, 17),
                                                          .mult           = byte(f) < 192 ? 1 : number(f, 17),
                                                          .band_lower     = byte(f) < 192 ? 0 : number(f, 900),
                                                          .band_upper     = byte(f) < 192 ? 0 : number(f, 1100)};
    m->text                          = names[byte(f) % (sizeof names / sizeof names[0])];
    m->tail_count                    = byte(f) % 20;
    tick_band_t *bands               = byte(f) < 250 && m->tail_count ? malloc(m->tail_count * sizeof *bands) : NULL;
    for (uint32_t k = 0; bands != NULL && k < m->tail_count; k++) {
        bands[k] = (tick_band_t){.px_from = number(f, 1000 * (int64_t)k), .tick = number(f, 17)};
    }
    m->tail = bands;
}

static void order_request(feed_t *f, order_req_t *q)
{
    const uint8_t  b    = byte(f);
    const uint32_t lane = byte(f) < 192 ? LANE : LANE + 1;
    *q                  = (order_req_t){.action          = b < 252 ? (uint8_t)(1 + b % 3) : b,
                                        .tenant_id       = byte(f) < 250 ? 1 : id(f, 2),
                                        .account_id      = id(f, ACCOUNTS),
                                        .strategy_id     = byte(f) < 240 ? lane : id(f, STRATEGIES + LANES),
                                        .instrument_id   = id(f, INSTRUMENTS),
                                        .px              = px(f),
                                        .qty             = number(f, 32),
                                        .created_mono_ns = byte(f) < 250 ? f->now : (int64_t)raw(f),
                                        .side            = (uint8_t)id(f, 2),
                                        .ord_type        = byte(f) < 192 ? ORD_TYPE_LIMIT : (uint8_t)id(f, 2),
                                        .tif             = byte(f) < 192 ? TIF_GTC : byte(f) % 8,
                                        .exec_inst       = byte(f) < 192 ? 0 : byte(f) % 8,
                                        .position_effect = byte(f) >= 254 ? 3 : byte(f) >= 250};
    q->cl_ord_id        = byte(f) < 252 ? cl_ord_id_make(f->epoch, lane, ++f->lane_seq) : raw(f);
    q->orig_cl_ord_id   = cl_ord_id(f);
}

static void exec_report(feed_t *f, exec_report_t *r)
{
    static const uint8_t types[]    = {EXEC_TYPE_NEW,          EXEC_TYPE_CANCELED,      EXEC_TYPE_REPLACED,
                                       EXEC_TYPE_REJECTED,     EXEC_TYPE_EXPIRED,       EXEC_TYPE_TRADE,
                                       EXEC_TYPE_TRADE,        EXEC_TYPE_TRADE,         EXEC_TYPE_TRADE_CANCEL,
                                       EXEC_TYPE_ORDER_STATUS, EXEC_TYPE_CANCEL_REJECT, EXEC_TYPE_REPLACE_REJECT,
                                       EXEC_TYPE_UNSENT,       EXEC_TYPE_TIMEOUT};
    static const uint8_t statuses[] = {ORD_STATUS_NONE,     ORD_STATUS_NEW,      ORD_STATUS_PARTIALLY_FILLED,
                                       ORD_STATUS_FILLED,   ORD_STATUS_CANCELED, ORD_STATUS_PENDING_CANCEL,
                                       ORD_STATUS_REJECTED, ORD_STATUS_EXPIRED,  ORD_STATUS_UNKNOWN};
    const uint8_t        b          = byte(f);
    *r                              = (exec_report_t){.exec_type     = b < 252 ? types[b % sizeof types] : b,
                                                      .ord_status    = statuses[byte(f) % sizeof statuses],
                                                      .exec_id_lo    = byte(f) < 192 ? ++f->exec_seq : byte(f) % 8,
                                                      .account_id    = byte(f) < 192 ? 0 : id(f, ACCOUNTS),
                                                      .strategy_id   = byte(f) < 192 ? 0 : id(f, STRATEGIES),
                                                      .instrument_id = byte(f) < 192 ? 0 : id(f, INSTRUMENTS),
                                                      .side          = byte(f) < 128 ? 0 : (uint8_t)id(f, 2),
                                                      .last_px       = px(f),
                                                      .last_qty      = number(f, 17),
                                                      .cum_qty       = byte(f) < 128 ? -1 : number(f, 17),
                                                      .leaves_qty    = -1,
                                                      .order_qty     = number(f, 17),
                                                      .px            = byte(f) < 128 ? 0 : px(f),
                                                      .fee           = byte(f) < 128 ? 0 : number(f, 0)};
    r->cl_ord_id                    = cl_ord_id(f);
}

static void control_any(feed_t *f, control_t *c)
{
    const uint8_t b = byte(f);
    *c              = (control_t){.kind       = byte(f) % (CONTROL_KIND_COUNT + 1),
                                  .scope_type = byte(f) % (SCOPE_COUNT + 1),
                                  .scope_id   = id(f, 3),
                                  .value      = b < 240 ? b % 2 : number(f, 17)};
    if (c->kind == CONTROL_KILL && c->scope_type == SCOPE_GLOBAL && (c->value == 0 || c->value == 1)) {
        f->killed = c->value != 0;
    }
}

static void limits_any(feed_t *f, limit_set_t *l)
{
    static const uint8_t scopes[] = {SCOPE_VENUE,
                                     SCOPE_ACCOUNT,
                                     SCOPE_STRATEGY,
                                     SCOPE_INSTRUMENT,
                                     SCOPE_ACCOUNT_INSTRUMENT,
                                     SCOPE_STRATEGY_INSTRUMENT};
    const uint8_t        b        = byte(f);
    risk_limits_t        limits   = {0};
    *l                            = (limit_set_t){.scope_type = b < 240 ? scopes[b % sizeof scopes] : b % 16,
                                                  .scope_id   = id(f, 2),
                                                  .scope_id2  = id(f, INSTRUMENTS)};
    if (l->scope_type < SCOPE_COUNT) {
        risk_limits_default((scope_t)l->scope_type, &limits);
    }
    memcpy((char *)l + offsetof(limit_set_t, max_qty), &limits, RISK_SETUP_FIELDS * sizeof(int64_t));
    for (uint8_t n = byte(f) % 8; n > 0; n--) { /* any field becomes anything */
        const int64_t value = byte(f) < 192 ? number(f, 100) : MUCH;
        memcpy((char *)l + offsetof(limit_set_t, max_qty) + byte(f) % RISK_SETUP_FIELDS * sizeof value, &value,
               sizeof value);
    }
}

/* A lane opens or closes, mostly as it must. */
static void lane_any(feed_t *f, lane_t *l)
{
    const uint8_t  b = byte(f);
    const uint32_t i = b % LANES;
    *l               = lane_open(i + 1, ++f->lease);
    l->on_close      = byte(f) < 250 ? b / 2 % 2 : byte(f);
    if (byte(f) < 96) {
        l->rights   = byte(f) % 5;
        l->accounts = byte(f) % 10;
    }
    if (f->lanes[i].state == LANE_OPEN && b < 240) {
        *l        = f->lanes[i];
        l->state  = LANE_CLOSED;
        l->reason = byte(f) % (LANE_REASON_COUNT + 1);
    }
    if (byte(f) >= 240) {
        uint64_t      *field = (uint64_t *)(void *)l;
        const uint64_t value = raw(f);
        memcpy(field + byte(f) % (sizeof *l / sizeof *field), &value, sizeof value);
    }
}

/* What begins a life and what reconciles it. */
static void life(feed_t *f, msg_type_t type, body_t *body)
{
    const uint8_t b = byte(f);
    if (type == MSG_BOOT) {
        body->boot = (boot_t){.epoch = b < 224 ? f->epoch + 1 : (uint32_t)raw(f), .flags = byte(f) < 240 ? b % 2 : b};
    } else if (type == MSG_ACCOUNT_DEF) {
        body->account = (account_def_t){.account_id = id(f, 3),
                                        .tenant_id  = b < 240 ? 1 : b,
                                        .ccy        = ccy_pack(b % 2 ? "USD" : "BTC"),
                                        .initial    = number(f, MUCH),
                                        .money_exp  = (int8_t)(b < 224 ? 2 : b)};
    } else {
        body->mass = (mass_status_t){.request_id    = f->request_id - (b < 192 ? b % 2 : b),
                                     .account_id    = id(f, ACCOUNTS),
                                     .venue_id      = (uint16_t)(byte(f) < 240 ? 1 : id(f, 9)),
                                     .kind          = byte(f) % (MASS_STATUS_KIND_COUNT + 1),
                                     .instrument_id = id(f, INSTRUMENTS),
                                     .qty           = number(f, 17),
                                     .amount        = number(f, 0)};
    }
}

/* The next message; body and tail are the caller's to free. */
static msg_t message(feed_t *f)
{
    static const uint8_t types[] = {
        MSG_BOOK_UPDATE, MSG_BOOK_UPDATE,   MSG_BOOK_UPDATE,   MSG_BOOK_UPDATE,   MSG_TRADE,       MSG_TOP,
        MSG_TOP,         MSG_ORDER_REQUEST, MSG_ORDER_REQUEST, MSG_ORDER_REQUEST, MSG_EXEC_REPORT, MSG_EXEC_REPORT,
        MSG_EXEC_REPORT, MSG_EXEC_REPORT,   MSG_TICK,          MSG_FEED_STATE,    MSG_CONTROL,     MSG_INSTRUMENT_DEF,
        MSG_MASS_STATUS, MSG_MASS_STATUS,   MSG_MASS_STATUS,   MSG_LIMIT_SET,     MSG_ACCOUNT_DEF, MSG_BOOT,
        MSG_LANE,        MSG_LANE,          MSG_MBO_UPDATE,    MSG_MBO_UPDATE,    MSG_MBO_UPDATE};
    const uint8_t b    = byte(f);
    body_t        body = {0};
    msg_t         m    = {.type = (msg_type_t)(b < 252 ? types[b % sizeof types] : b % (MSG_TYPE_COUNT + 2))};
    switch (m.type) {
    case MSG_BOOK_UPDATE: book_update(f, &m, &body.book); break;
    case MSG_MBO_UPDATE: mbo_update(f, &m, &body.mbo); break;
    case MSG_INSTRUMENT_DEF: instrument_def(f, &m, &body.def); break;
    case MSG_ORDER_REQUEST: order_request(f, &body.req); break;
    case MSG_EXEC_REPORT: exec_report(f, &body.report); break;
    case MSG_CONTROL: control_any(f, &body.control); break;
    case MSG_LIMIT_SET: limits_any(f, &body.limits); break;
    case MSG_LANE: lane_any(f, &body.lane); break;
    case MSG_BOOT:
    case MSG_ACCOUNT_DEF:
    case MSG_MASS_STATUS: life(f, m.type, &body); break;
    case MSG_TRADE:
        body.trade = (trade_t){.instrument_id  = id(f, INSTRUMENTS),
                               .aggressor_side = byte(f) % 4,
                               .trade_id       = byte(f),
                               .px             = px(f),
                               .qty            = number(f, 17),
                               .ts_recv_ns     = received(f)};
        break;
    case MSG_TOP:
        body.top = (top_t){.instrument_id = id(f, INSTRUMENTS),
                           .venue_seq     = byte(f) < 250 ? ++f->venue_seq : raw(f),
                           .bid_px        = number(f, 983),
                           .bid_qty       = byte(f) < 240 ? byte(f) : number(f, 0),
                           .ask_px        = number(f, 1018),
                           .ask_qty       = byte(f) < 240 ? byte(f) : number(f, 0),
                           .ts_recv_ns    = received(f)};
        break;
    case MSG_FEED_STATE:
        body.state = (feed_state_t){
            .instrument_id = id(f, INSTRUMENTS), .health = byte(f) % 6, .reason = byte(f) % (FEED_REASON_COUNT + 1)};
        break;
    default: break;
    }
    const size_t bytes = msg_body_size(m.type) ? msg_body_size(m.type) : sizeof body;
    m.body             = memcpy(malloc(bytes), &body, bytes);
    return m;
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */
static void check_outputs(const world_t *w, feed_t *f)
{
    uint32_t         pos = 0, questions = 0;
    uint64_t         accepted = 0; /* id of the verdict ACCEPTED whose request must come */
    const out_rec_t *rec;
    while ((rec = engine_out_next(&w->out, &pos)) != NULL) {
        assert(rec->reserved == 0 && rec->len == msg_body_size((msg_type_t)rec->type) && pos <= w->out.len);
        if (rec->type == MSG_VERDICT) {
            const verdict_t *verdict = (const verdict_t *)(rec + 1);
            assert(accepted == 0);
            accepted = verdict->code == 0 ? verdict->cl_ord_id : 0;
        } else if (rec->type == MSG_ORDER_REQUEST) {
            const order_req_t *req = (const order_req_t *)(rec + 1);
            assert(req->cl_ord_id == accepted);
            accepted = 0;
            if (req->action != ORDER_ACTION_CANCEL) {
                const feed_health_t health = view_health(engine_market(w->engine, req->instrument_id));
                assert(health == FEED_LIVE || health == FEED_STALE);
                assert(req->side == SIDE_BUY || req->side == SIDE_SELL);
                assert(!f->killed && f->epoch != 0);
            }
        } else if (rec->type == MSG_ORDER_STATUS_REQUEST) {
            const order_status_req_t *q   = (const order_status_req_t *)(rec + 1);
            const uint32_t            row = order_find(engine_orders(w->engine), q->cl_ord_id);
            assert(row != ORDER_NONE && order_waits(order_at(engine_orders(w->engine), row)));
            questions++;
        } else if (rec->type == MSG_MASS_STATUS_REQUEST) {
            const mass_status_req_t *q = (const mass_status_req_t *)(rec + 1);
            assert(q->request_id > f->request_id && q->since_utc_ns >= 0);
            f->request_id = q->request_id;
            questions++;
        } else if (rec->type == MSG_SNAPSHOT_REQUEST) {
            const snapshot_req_t *q      = (const snapshot_req_t *)(rec + 1);
            const feed_health_t   health = view_health(engine_market(w->engine, q->instrument_id));
            assert(health == FEED_BROKEN || health == FEED_RECOVERING);
            questions++;
        }
    }
    assert(accepted == 0 && pos == w->out.len && questions <= ENGINE_QUERIES_MAX);
}

/* What is asked of engine a alone before an order is sent: the twin's bytes show that it changed nothing. */
static risk_check_resp_t ask(const world_t *w, const feed_t *f, const order_req_t *q)
{
    const risk_check_req_t req = {.px            = q->px,
                                  .qty           = q->qty,
                                  .account_id    = q->account_id,
                                  .instrument_id = q->instrument_id,
                                  .side          = q->side,
                                  .ord_type      = q->ord_type,
                                  .tif           = q->tif,
                                  .exec_inst     = q->exec_inst};
    risk_check_resp_t      out;
    engine_risk_check(w->engine, (now_t){.mono_ns = f->now, .utc_ns = f->now + f->day * NS_PER_DAY},
                      q->strategy_id - STRATEGIES, &req, &out);
    assert(out.approved == (out.code == 0) && out.risk_score <= RISK_SCORE_MAX);
    assert(out.adjusted_qty >= 0 && out.adjusted_qty <= (q->qty > 0 ? q->qty : 0));
    return out;
}

/* The order met what was said, but for its own identity and age, which the question has not. */
static void check_answer(const world_t *w, const order_req_t *q, const risk_check_resp_t *said)
{
    uint32_t         pos = 0;
    const verdict_t *v   = (const verdict_t *)(engine_out_next(&w->out, &pos) + 1);
    switch (v->code) {
    case RISK_BAD_MESSAGE:
    case RISK_BAD_CLIENT_ORDER_ID:
    case RISK_DUPLICATE_CLIENT_ORDER_ID:
    case RISK_REQUEST_TOO_OLD:
    case RISK_NOT_AUTHORISED:
    case RISK_WRONG_TENANT:
    case RISK_STRATEGY_NOT_APPROVED: return;
    default:
        assert(said->code == RISK_NOT_AUTHORISED || q->action != ORDER_ACTION_NEW ||
               (said->code == v->code && said->observed == v->observed && said->limit == v->limit));
    }
}

/* Sums over the order table, of an account's orders (strategy_id 0) or of a strategy's. */
static void check_open(const world_t *w, uint32_t account_id, uint32_t strategy_id, uint32_t instrument_id)
{
    const order_table_t *orders = engine_orders(w->engine);
    const risk_t        *risk   = engine_risk(w->engine);
    const risk_row_t    *row =
        strategy_id ? risk_strategy_row(risk, strategy_id, instrument_id) : risk_row(risk, account_id, instrument_id);
    i128_t buys = 0, sells = 0;
    if (row->flags & ROW_BROKEN) {
        return;
    }
    for (uint32_t at = order_first(orders); at != ORDER_NONE; at = order_next(orders, at)) {
        const order_t *o = order_at(orders, at);
        order_part_t   part;
        order_part(o, &part);
        if (o->instrument_id == instrument_id &&
            (strategy_id ? o->strategy_id == strategy_id : o->account_id == account_id)) {
            buys += part.side == SIDE_BUY ? part.qty : 0;
            sells += part.side == SIDE_SELL ? part.qty : 0;
        }
    }
    assert(row->buy_open == buys && row->sell_open == sells);
}

static void check_state(const world_t *w)
{
    const portfolio_t  *portfolio = engine_portfolio(w->engine);
    const risk_counts_t counts    = risk_counts(engine_risk(w->engine));
    assert(counts.received == counts.accepted + counts.rejected);
    for (uint32_t account = 1; account <= ACCOUNTS; account++) {
        int64_t cash_side, pnl_side;
        for (uint32_t k = 0; portfolio_equity_cash_side(portfolio, account, k, &cash_side); k++) {
            const bool has = portfolio_equity_pnl_side(portfolio, account, k, &pnl_side);
            assert(has && cash_side == pnl_side);
        }
    }
    for (uint32_t instrument = 1; instrument <= engine_instrument_count(w->engine); instrument++) {
        for (uint32_t account = 1; account <= ACCOUNTS; account++) {
            check_open(w, account, 0, instrument);
        }
        for (uint32_t strategy = 1; strategy <= STRATEGIES + LANES; strategy++) {
            check_open(w, 0, strategy, instrument);
        }
    }
}

static uint8_t *arena_copy(const uint8_t *from)
{
    return memcpy(aligned_alloc(engine_align(), arena_bytes), from, arena_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (fresh[0] == NULL) {
        fresh[0] = arena_open(0);
        fresh[1] = arena_open(0xa5);
    }
    world_t a = world_on(arena_copy(fresh[0]), outs[0]), b = world_on(arena_copy(fresh[1]), outs[1]);
    feed_t  f = {.at = data, .end = data + size, .now = NS_PER_S, .lease = 1, .epoch = EPOCH};
    for (uint32_t n = 0; f.at < f.end && n < MESSAGES_MAX; n++) {
        const uint8_t step = byte(&f);
        f.now += step < 192 ? step * NS_PER_MS / 4 : (step - 191) * 20 * NS_PER_MS;
        f.day += step == 255;
        const msg_t       m    = message(&f);
        risk_check_resp_t said = {0};
        if (m.type == MSG_ORDER_REQUEST) {
            said = ask(&a, &f, m.body);
        }
        const err_t ea = apply(&a, &f, &m), eb = apply(&b, &f, &m);
        if (m.type == MSG_ORDER_REQUEST) {
            check_answer(&a, m.body, &said);
        }
        free((void *)(uintptr_t)m.body);
        free((void *)(uintptr_t)m.tail);
        assert(ea == eb && a.out.len == b.out.len && memcmp(a.out.buf, b.out.buf, a.out.len) == 0);
        check_outputs(&a, &f);
        f.epoch = engine_epoch(a.engine);
        for (uint32_t i = 0; i < LANES; i++) {
            engine_lane(a.engine, i + 1, &f.lanes[i]);
            f.lanes[i].epoch     = 0; /* as in the record */
            f.lanes[i].first_seq = 0;
        }
        check_state(&a);
        if (n % 16 == 15) { /* a snapshot goes on as the original */
            uint8_t *moved = arena_copy(b.arena);
            free(b.arena);
            b.arena  = moved;
            b.engine = engine_join(b.engine, moved);
            assert(b.engine != NULL);
        }
    }
    assert(engine_output_hash(a.engine) == engine_output_hash(b.engine));
    assert(engine_state_hash(a.engine) == engine_state_hash(b.engine));
    free(a.arena);
    free(b.arena);
    free(a.engine);
    free(b.engine);
    return 0;
}
