#include "core/engine/engine.h"

#include <assert.h>
#include <string.h>

#include "core/types/hash.h"
#include "core/types/ids.h"

#define ENGINE_MAGIC 0x31656e6967656e65ull
#define ENGINE_ALIGN 4096u
#define STALE_MONO_NS (INT64_MIN / 4) /* a time so long ago that no age limit allows it */
#define KILL_RETRY_NS NS_PER_S        /* a cancel that was refused or lost is sent again after this */
#define ORIGIN_ENGINE 0u              /* of ClOrdIDs that the engine mints for itself */

typedef struct ins_state { /* what the engine keeps of an instrument beside its book */
    instrument_t ins;
    trade_t      last; /* trade_id 0 and px 0 before the first */
    top_t        quote;
    int64_t      last_mono_ns;
    int64_t      quote_mono_ns;
    int64_t      mark_bid, mark_ask; /* best prices of the last mark */
    uint8_t      marked;
    uint8_t      health; /* as last told to strategies */
    uint8_t      has_last;
    uint8_t      reserved[5];
} ins_state_t;

typedef struct account_state {
    uint64_t ccy;
    uint32_t open;
    uint32_t unbooked; /* 1: a fill could not be booked as money: unreconciled (152) for good */
} account_state_t;

typedef struct strategy_slot { /* state follows at state_off */
    char           name[32];
    strategy_cfg_t cfg;
    uint64_t       state_off;
    uint64_t       minted; /* sequence of the last ClOrdID */
    uint32_t       state_bytes;
    uint32_t       reserved;
} strategy_slot_t;

typedef struct engine_state { /* head of the arena */
    uint64_t        magic;
    uint64_t        bytes;
    uint32_t        epoch, tenant_id;
    uint32_t        instruments_max, instrument_count;
    uint32_t        accounts_max, strategy_count;
    uint32_t        kill_count, reserved;
    int64_t         stale_ns;
    int64_t         day; /* UTC, since the epoch */
    uint64_t        seq;
    uint64_t        output_hash;
    uint64_t        minted; /* ClOrdIDs of the engine itself */
    book_cfg_t      book_cfg;
    uint64_t        ins_off, book_off, book_bytes, account_off, order_off, risk_off, portfolio_off;
    control_t       kills[ENGINE_KILLS_MAX];
    strategy_slot_t strategies[ENGINE_STRATEGIES_MAX];
} engine_state_t;

struct engine { /* the local handle: pointers into the arena, and what lives during one call */
    engine_state_t       *s;
    ins_state_t          *ins; /* by id, from 1 */
    account_state_t      *accounts;
    order_table_t        *orders;
    risk_t               *risk;
    portfolio_t          *portfolio;
    const strategy_ops_t *ops[ENGINE_STRATEGIES_MAX];
    engine_out_t         *out;
    now_t                 now;
    uint32_t              actions;       /* of the callback that runs */
    uint32_t              input_actions; /* of all callbacks of this input */
};

/* ---- layout ------------------------------------------------------------------------------------------------------ */
static uint64_t up(uint64_t n)
{
    return (n + (ENGINE_ALIGN - 1)) & ~(uint64_t)(ENGINE_ALIGN - 1);
}

static order_cfg_t order_cfg_of(const engine_cfg_t *cfg)
{
    return (order_cfg_t){
        .orders_max = cfg->orders_max, .fills_max = cfg->fills_max, .instruments_max = cfg->instruments_max};
}

static risk_cfg_t risk_cfg_of(const engine_cfg_t *cfg)
{
    risk_cfg_t risk      = cfg->risk;
    risk.accounts_max    = cfg->accounts_max;
    risk.instruments_max = cfg->instruments_max;
    risk.strategies_max  = cfg->strategy_count ? cfg->strategy_count : 1;
    return risk;
}

/* One place says where everything lies: footprint and new both come here. false = a sentence was set. */
static bool layout(const engine_cfg_t *cfg, engine_state_t *s)
{
    const order_cfg_t     order     = order_cfg_of(cfg);
    const risk_cfg_t      risk      = risk_cfg_of(cfg);
    const portfolio_cfg_t portfolio = {.accounts_max = cfg->accounts_max, .instruments_max = cfg->instruments_max};
    if (cfg->epoch < 1 || cfg->epoch > CL_ORD_ID_EPOCH_MAX || cfg->strategy_count > ENGINE_STRATEGIES_MAX ||
        cfg->tenant_id == 0 || cfg->stale_ns <= 0) {
        err_set(ERR_ARG, "engine: epoch %u (1..%u), strategies %u (0..%u), tenant %u (from 1) or stale_ns out of range",
                cfg->epoch, CL_ORD_ID_EPOCH_MAX, cfg->strategy_count, ENGINE_STRATEGIES_MAX, cfg->tenant_id);
        return false;
    }
    const size_t order_bytes = order_footprint(&order), risk_bytes = risk_footprint(&risk);
    const size_t portfolio_bytes = portfolio_footprint(&portfolio), book_bytes = book_footprint(&cfg->book);
    if (!order_bytes || !risk_bytes || !portfolio_bytes || !book_bytes) {
        return false;
    }
    uint64_t at      = up(sizeof *s);
    s->ins_off       = at;
    at               = up(at + sizeof(ins_state_t) * (cfg->instruments_max + 1ull));
    s->account_off   = at;
    at               = up(at + sizeof(account_state_t) * (cfg->accounts_max + 1ull));
    s->order_off     = at;
    at               = up(at + order_bytes);
    s->risk_off      = at;
    at               = up(at + risk_bytes);
    s->portfolio_off = at;
    at               = up(at + portfolio_bytes);
    for (uint32_t i = 0; i < cfg->strategy_count; i++) {
        const strategy_ops_t *ops = cfg->strategies[i].ops;
        if (!ops || ops->abi_version != STRATEGY_ABI_VERSION || ops->state_bytes > STRATEGY_STATE_MAX ||
            strlen(ops->name) >= sizeof s->strategies[i].name) {
            err_set(ERR_ARG, "engine: strategy %u (%s): wrong version or more than %u bytes of state", i + 1,
                    ops ? ops->name : "none", STRATEGY_STATE_MAX);
            return false;
        }
        s->strategies[i].state_off = at;
        at                         = up(at + ops->state_bytes);
    }
    s->book_bytes = up(book_bytes);
    s->book_off   = at;
    s->bytes      = at + s->book_bytes * cfg->instruments_max;
    return true;
}

size_t engine_align(void)
{
    return ENGINE_ALIGN;
}

size_t engine_footprint(const engine_cfg_t *cfg)
{
    engine_state_t s = {0};
    return layout(cfg, &s) ? s.bytes : 0;
}

size_t engine_handle_size(void)
{
    return sizeof(engine_t);
}

void *engine_new(void *mem, const engine_cfg_t *cfg)
{
    engine_state_t *s = mem;
    memset(s, 0, sizeof *s);
    if (!layout(cfg, s)) {
        return NULL;
    }
    char *base = mem;
    memset(base + s->ins_off, 0, s->order_off - s->ins_off);
    s->epoch                        = cfg->epoch;
    s->tenant_id                    = cfg->tenant_id;
    s->instruments_max              = cfg->instruments_max;
    s->accounts_max                 = cfg->accounts_max;
    s->strategy_count               = cfg->strategy_count;
    s->stale_ns                     = cfg->stale_ns;
    s->book_cfg                     = cfg->book;
    const order_cfg_t     order     = order_cfg_of(cfg);
    const risk_cfg_t      risk      = risk_cfg_of(cfg);
    const portfolio_cfg_t portfolio = {.accounts_max = cfg->accounts_max, .instruments_max = cfg->instruments_max};
    if (!order_new(base + s->order_off, &order) || !risk_new(base + s->risk_off, &risk) ||
        !portfolio_new(base + s->portfolio_off, &portfolio)) {
        return NULL;
    }
    risk_t *gate = risk_join(base + s->risk_off);
    for (uint32_t i = 0; i < cfg->strategy_count; i++) {
        strategy_slot_t      *slot = &s->strategies[i];
        const strategy_ops_t *ops  = cfg->strategies[i].ops;
        memcpy(slot->name, ops->name, strlen(ops->name) + 1); /* its length was checked by layout */
        slot->cfg             = cfg->strategies[i].cfg;
        slot->cfg.strategy_id = i + 1;
        slot->state_bytes     = ops->state_bytes;
        memset(base + slot->state_off, 0, ops->state_bytes);
        if (ops->init(base + slot->state_off, &slot->cfg) != ERR_OK ||
            risk_strategy_open(gate, i + 1, cfg->tenant_id, ops->abi_version) != ERR_OK) {
            err_wrap(ERR_CONFIG, "strategy %s", ops->name);
            return NULL;
        }
    }
    /* the book of an instrument is formatted when the instrument is defined; room for it is set aside here */
    s->magic = ENGINE_MAGIC;
    return mem;
}

engine_t *engine_join(void *handle, void *mem)
{
    engine_t       *e    = handle;
    engine_state_t *s    = mem;
    char           *base = mem;
    if (s->magic != ENGINE_MAGIC) {
        err_set(ERR_STATE, "engine: no engine in this memory");
        return NULL;
    }
    *e = (engine_t){.s         = s,
                    .ins       = (ins_state_t *)(void *)(base + s->ins_off),
                    .accounts  = (account_state_t *)(void *)(base + s->account_off),
                    .orders    = order_join(base + s->order_off),
                    .risk      = risk_join(base + s->risk_off),
                    .portfolio = portfolio_join(base + s->portfolio_off)};
    for (uint32_t i = 0; i < s->strategy_count; i++) {
        e->ops[i] = strategy_find(s->strategies[i].name);
        if (!e->ops[i]) {
            err_set(ERR_NOT_FOUND, "engine: no strategy \"%s\" in this build", s->strategies[i].name);
            return NULL;
        }
    }
    return e->orders && e->risk && e->portfolio ? e : NULL;
}

static book_t *book_of(const engine_t *e, uint32_t id)
{
    return (book_t *)(void *)((char *)e->s + e->s->book_off + e->s->book_bytes * (id - 1));
}

static ins_state_t *ins_of(const engine_t *e, uint32_t id)
{
    return id >= 1 && id <= e->s->instrument_count ? &e->ins[id] : NULL;
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */
static void emit(engine_t *e, msg_type_t type, const void *body)
{
    const uint32_t len = (uint32_t)msg_body_size(type);
    engine_out_t  *out = e->out;
    assert(out->len + sizeof(out_rec_t) + len <= out->cap);
    out_rec_t *rec = (out_rec_t *)(void *)(out->buf + out->len);
    *rec           = (out_rec_t){.type = (uint16_t)type, .len = len};
    memcpy(rec + 1, body, len);
    e->s->output_hash = hash_bytes(e->s->output_hash, rec, sizeof *rec + len);
    out->len += (uint32_t)sizeof *rec + len;
}

static void emit_alarm(engine_t *e, alarm_t alarm)
{
    alarm.engine_utc_ns = e->now.utc_ns;
    emit(e, MSG_ALARM, &alarm);
}

const out_rec_t *engine_out_next(const engine_out_t *out, uint32_t *pos)
{
    if (*pos >= out->len) {
        return NULL;
    }
    const out_rec_t *rec = (const out_rec_t *)(const void *)(out->buf + *pos);
    *pos += (uint32_t)sizeof *rec + rec->len;
    return rec;
}

/* ---- best bid and offer ----------------------------------------------------------------------------------------- */
/* The venue tells its best quotes in two streams, diffs of the book and quotes, numbered alike: the one with the larger
 * update id is the newer. A quote never stands in for a book that is not LIVE. */
static bool quote_leads(const engine_t *e, const ins_state_t *ins, const book_t *book)
{
    return ins->quote.venue_seq > book_venue_seq(book) && book_health(book) == FEED_LIVE &&
           e->now.mono_ns - ins->quote_mono_ns <= e->s->stale_ns;
}

static bool best_view(const engine_t *e, uint32_t id, top_t *out, int64_t *mono_ns)
{
    const ins_state_t *ins  = &e->ins[id];
    const book_t      *book = book_of(e, id);
    if (quote_leads(e, ins, book)) {
        *out     = ins->quote;
        *mono_ns = ins->quote_mono_ns;
        return true;
    }
    *mono_ns = book_updated_mono_ns(book);
    return book_best(book, &out->bid_px, &out->bid_qty, &out->ask_px, &out->ask_qty);
}

/* ---- requests: the one way to a venue ---------------------------------------------------------------------------- */
static void market_view(const engine_t *e, uint32_t id, risk_md_t *md)
{
    const ins_state_t  *ins    = &e->ins[id];
    const feed_health_t health = book_health(book_of(e, id));
    top_t               best;
    *md = (risk_md_t){.last_px = ins->last.px, .last_mono_ns = ins->last_mono_ns, .has_last = ins->has_last};
    best_view(e, id, &best, &md->book_mono_ns);
    md->bid_px  = best.bid_px;
    md->ask_px  = best.ask_px;
    md->has_bid = best.bid_qty > 0;
    md->has_ask = best.ask_qty > 0;
    if (health == FEED_STALE) {
        md->book_mono_ns = STALE_MONO_NS; /* whatever its age: nothing is priced on it */
    }
    md->feed_gap = health == FEED_BROKEN || health == FEED_RECOVERING;
}

static uint16_t request(engine_t *e, const order_req_t *given)
{
    order_req_t        made = *given;
    const order_req_t *req  = &made;
    const ins_state_t *ins  = ins_of(e, req->instrument_id);
    const uint32_t     row  = req->action == ORDER_ACTION_NEW ? ORDER_NONE : order_find(e->orders, req->orig_cl_ord_id);
    risk_md_t          md;
    risk_out_t         result;
    if (req->action == ORDER_ACTION_CANCEL && row != ORDER_NONE) { /* it names an order; all else is the order's own */
        const order_t *order = order_at(e->orders, row);
        made.side            = order->side;
        made.ord_type        = order->ord_type;
        made.tif             = order->tif;
        made.exec_inst       = order->exec_inst;
        made.px = made.qty = 0;
    }
    if (ins) {
        market_view(e, req->instrument_id, &md);
    }
    const risk_in_t in = {.req       = req,
                          .ins       = ins ? &ins->ins : NULL,
                          .md        = ins ? &md : NULL,
                          .target    = row == ORDER_NONE ? NULL : order_at(e->orders, row),
                          .orders    = e->orders,
                          .now       = e->now,
                          .order_seq = e->s->seq};
    risk_check(e->risk, &in, &result);
    emit(e, MSG_VERDICT, &result.verdict);
    for (uint32_t i = 0; i < result.soft_count; i++) {
        const risk_soft_t *soft = &result.soft[i];
        emit_alarm(e, (alarm_t){.kind          = ALARM_SOFT_LIMIT,
                                .code          = soft->code,
                                .observed      = soft->observed,
                                .limit         = soft->limit,
                                .cl_ord_id     = req->cl_ord_id,
                                .account_id    = req->account_id,
                                .instrument_id = req->instrument_id});
    }
    if (result.verdict.code != 0) {
        return result.verdict.code;
    }
    order_req_t sent = *req;
    switch ((order_action_t)req->action) {
    case ORDER_ACTION_NEW:
        sent.px = result.px;
        if (req->ord_type == ORD_TYPE_MARKET) { /* leaves as a limit at the collar, and never rests */
            sent.ord_type = ORD_TYPE_LIMIT;
            sent.tif      = req->tif == TIF_FOK ? TIF_FOK : TIF_IOC;
        }
        order_open(e->orders, &sent, result.px_value, e->now);
        break;
    case ORDER_ACTION_REPLACE:
        sent.px = result.px;
        order_replace_sent(e->orders, row, result.px, result.px_value, req->qty);
        break;
    case ORDER_ACTION_CANCEL: order_cancel_sent(e->orders, row, e->now); break;
    case ORDER_ACTION_NONE: assert(req->action != ORDER_ACTION_NONE); /* risk passes no request without an action */
    }
    emit(e, MSG_ORDER_REQUEST, &sent);
    return 0;
}

/* A request of a lane or an operator. Its ids must be of this life and of an origin that is not ours: else one message
 * could use up the ids of a strategy, or of the lane itself, for ever. */
static void request_from_outside(engine_t *e, const order_req_t *req)
{
    const uint32_t origin = cl_ord_id_origin(req->cl_ord_id);
    if (cl_ord_id_epoch(req->cl_ord_id) == e->s->epoch && origin != ORIGIN_ENGINE && origin > e->s->strategy_count) {
        request(e, req);
        return;
    }
    const verdict_t verdict = {.cl_ord_id     = req->cl_ord_id,
                               .order_seq     = e->s->seq,
                               .observed      = origin,
                               .limit         = e->s->strategy_count,
                               .engine_utc_ns = e->now.utc_ns,
                               .instrument_id = req->instrument_id,
                               .account_id    = req->account_id,
                               .strategy_id   = req->strategy_id,
                               .limit_version = risk_limit_version(e->risk),
                               .code          = RISK_BAD_CLIENT_ORDER_ID,
                               .action        = req->action};
    emit(e, MSG_VERDICT, &verdict);
}

/* ---- strategies -------------------------------------------------------------------------------------------------- */
static engine_t *host_of(const strategy_ctx_t *ctx)
{
    return ctx->host;
}

static const instrument_t *ctx_instrument(const strategy_ctx_t *ctx, uint32_t id)
{
    const ins_state_t *ins = ins_of(host_of(ctx), id);
    return ins ? &ins->ins : NULL;
}

static bool ctx_top(const strategy_ctx_t *ctx, uint32_t id, strategy_top_t *out)
{
    const engine_t *e = host_of(ctx);
    top_t           best;
    int64_t         mono_ns;
    if (!ins_of(e, id)) {
        return false;
    }
    const bool live = best_view(e, id, &best, &mono_ns);
    *out            = (strategy_top_t){
                   .bid_px = best.bid_px, .bid_qty = best.bid_qty, .ask_px = best.ask_px, .ask_qty = best.ask_qty};
    return live;
}

static int64_t ctx_position(const strategy_ctx_t *ctx, uint32_t id)
{
    risk_exposure_t exposure;
    return risk_strategy_exposure(host_of(ctx)->risk, ctx->strategy_id, id, &exposure) ? exposure.pos : 0;
}

/* What every action of a strategy has in common: its identity is the engine's to fill in, never the strategy's. */
static uint16_t act(const strategy_ctx_t *ctx, order_req_t *req)
{
    engine_t        *e    = host_of(ctx);
    strategy_slot_t *slot = &e->s->strategies[ctx->strategy_id - 1];
    if (e->actions++ >= STRATEGY_ACTIONS_MAX || e->input_actions++ >= ENGINE_ACTIONS_MAX) {
        return RISK_INTERNAL;
    }
    req->cl_ord_id       = cl_ord_id_make(e->s->epoch, ctx->strategy_id, ++slot->minted);
    req->tenant_id       = e->s->tenant_id;
    req->account_id      = slot->cfg.account_id;
    req->strategy_id     = ctx->strategy_id;
    req->created_mono_ns = e->now.mono_ns;
    req->reserved        = 0;
    return request(e, req);
}

static uint16_t ctx_order_new(const strategy_ctx_t *ctx, const order_req_t *req, uint64_t *cl_ord_id)
{
    order_req_t copy    = *req;
    copy.action         = ORDER_ACTION_NEW;
    copy.orig_cl_ord_id = 0;
    const uint16_t code = act(ctx, &copy);
    *cl_ord_id          = copy.cl_ord_id;
    return code;
}

/* A replace or cancel names the order; the rest of the request is the order's own. */
static uint16_t change(const strategy_ctx_t *ctx, order_action_t action, uint64_t orig, int64_t px, int64_t qty)
{
    const engine_t *e   = host_of(ctx);
    order_req_t     req = {.action = (uint8_t)action, .orig_cl_ord_id = orig, .px = px, .qty = qty};
    const uint32_t  row = order_find(e->orders, orig);
    if (row != ORDER_NONE) {
        const order_t *order = order_at(e->orders, row);
        req.instrument_id    = order->instrument_id;
        req.side             = order->side;
        req.ord_type         = order->ord_type;
        req.tif              = order->tif;
        req.exec_inst        = order->exec_inst;
        req.corr_hi          = order->corr_hi;
        req.corr_lo          = order->corr_lo;
    }
    return act(ctx, &req);
}

static uint16_t ctx_order_replace(const strategy_ctx_t *ctx, uint64_t orig, int64_t px, int64_t qty)
{
    return change(ctx, ORDER_ACTION_REPLACE, orig, px, qty);
}

static uint16_t ctx_order_cancel(const strategy_ctx_t *ctx, uint64_t orig)
{
    return change(ctx, ORDER_ACTION_CANCEL, orig, 0, 0);
}

static strategy_ctx_t ctx_for(engine_t *e, uint32_t slot)
{
    e->actions = 0;
    return (strategy_ctx_t){.abi_version   = STRATEGY_ABI_VERSION,
                            .strategy_id   = slot + 1,
                            .now           = e->now,
                            .host          = e,
                            .instrument    = ctx_instrument,
                            .top           = ctx_top,
                            .position      = ctx_position,
                            .order_new     = ctx_order_new,
                            .order_replace = ctx_order_replace,
                            .order_cancel  = ctx_order_cancel};
}

static void *state_of(const engine_t *e, uint32_t slot)
{
    return (char *)e->s + e->s->strategies[slot].state_off;
}

/* A strategy sees the instruments that settle in its account's currency. */
static bool sees(const engine_t *e, uint32_t slot, const ins_state_t *ins)
{
    const uint32_t account = e->s->strategies[slot].cfg.account_id;
    return account >= 1 && account <= e->s->accounts_max && e->accounts[account].ccy == ins->ins.def.settle_ccy;
}

static void tell_book(engine_t *e, uint32_t id)
{
    for (uint32_t i = 0; i < e->s->strategy_count; i++) {
        if (e->ops[i]->on_book && sees(e, i, &e->ins[id])) {
            const strategy_ctx_t ctx = ctx_for(e, i);
            e->ops[i]->on_book(state_of(e, i), &ctx, id);
        }
    }
}

static void tell_feed(engine_t *e, uint32_t id)
{
    ins_state_t  *ins    = &e->ins[id];
    const uint8_t health = (uint8_t)book_health(book_of(e, id)), before = ins->health;
    if (health == before) {
        return;
    }
    ins->health = health;
    if (health != FEED_LIVE) {
        portfolio_mark_stale(e->portfolio, id);
    }
    if (before == FEED_LIVE || health == FEED_BROKEN) { /* a first snapshot on its way is no news for a person */
        emit_alarm(e, (alarm_t){.kind          = ALARM_FEED,
                                .code          = (uint16_t)book_reason(book_of(e, id)),
                                .instrument_id = id,
                                .observed      = health});
    }
    for (uint32_t i = 0; i < e->s->strategy_count; i++) {
        if (e->ops[i]->on_feed && sees(e, i, ins)) {
            const strategy_ctx_t ctx = ctx_for(e, i);
            e->ops[i]->on_feed(state_of(e, i), &ctx, id, (feed_health_t)health);
        }
    }
}

/* ---- kill: cancels for every open order in scope, a bounded number with each input ------------------------------- */
static bool in_scope(const engine_t *e, const control_t *kill, const order_t *order)
{
    switch ((scope_t)kill->scope_type) {
    case SCOPE_GLOBAL: return true;
    case SCOPE_TENANT: return order->tenant_id == kill->scope_id;
    case SCOPE_ACCOUNT: return order->account_id == kill->scope_id;
    case SCOPE_STRATEGY: return order->strategy_id == kill->scope_id;
    case SCOPE_INSTRUMENT: return order->instrument_id == kill->scope_id;
    case SCOPE_VENUE: return e->ins[order->instrument_id].ins.def.venue_id == kill->scope_id;
    default: return false;
    }
}

static void cancel_by_engine(engine_t *e, const order_t *order)
{
    const order_req_t req = {.cl_ord_id       = cl_ord_id_make(e->s->epoch, ORIGIN_ENGINE, ++e->s->minted),
                             .orig_cl_ord_id  = order->cl_ord_id,
                             .corr_hi         = order->corr_hi,
                             .corr_lo         = order->corr_lo,
                             .tenant_id       = order->tenant_id,
                             .account_id      = order->account_id,
                             .strategy_id     = order->strategy_id,
                             .instrument_id   = order->instrument_id,
                             .created_mono_ns = e->now.mono_ns,
                             .action          = ORDER_ACTION_CANCEL,
                             .side            = order->side,
                             .ord_type        = order->ord_type,
                             .tif             = order->tif,
                             .exec_inst       = order->exec_inst};
    request(e, &req);
}

static void sweep(engine_t *e)
{
    uint32_t sent = 0;
    for (uint32_t row = order_first(e->orders), next; row != ORDER_NONE && sent < ENGINE_SWEEP_MAX; row = next) {
        const order_t *order = order_at(e->orders, row);
        next                 = order_next(e->orders, row);
        const bool asked     = order->cancel_mono_ns != 0 && e->now.mono_ns - order->cancel_mono_ns < KILL_RETRY_NS;
        if (!order_is_open(order) || (order->flags & ORDER_PENDING_CANCEL) || asked) {
            continue;
        }
        for (uint32_t k = 0; k < e->s->kill_count; k++) {
            if (in_scope(e, &e->s->kills[k], order)) {
                cancel_by_engine(e, order);
                sent++;
                break;
            }
        }
    }
}

static void kill_set(engine_t *e, const control_t *given)
{
    const control_t  named   = {.kind       = CONTROL_KILL,
                                .scope_type = given->scope_type,
                                .scope_id   = given->scope_type == SCOPE_GLOBAL ? 0 : given->scope_id,
                                .value      = given->value};
    const control_t *control = &named;
    uint32_t         at      = 0;
    while (at < e->s->kill_count &&
           (e->s->kills[at].scope_type != control->scope_type || e->s->kills[at].scope_id != control->scope_id)) {
        at++;
    }
    if (control->value && at == e->s->kill_count) {
        if (at == ENGINE_KILLS_MAX) { /* more scopes than we can name: all of them */
            e->s->kill_count = 1;
            e->s->kills[0]   = (control_t){.kind = CONTROL_KILL, .scope_type = SCOPE_GLOBAL, .value = 1};
            risk_control(e->risk, &e->s->kills[0]);
        } else {
            e->s->kills[e->s->kill_count++] = *control;
        }
    } else if (!control->value && at < e->s->kill_count) {
        e->s->kills[at]               = e->s->kills[--e->s->kill_count];
        e->s->kills[e->s->kill_count] = (control_t){0};
    }
}

/* ---- profit and loss against the limits ------------------------------------------------------------------------- */
static void judge_loss(engine_t *e, uint32_t account)
{
    portfolio_account_t a;
    risk_loss_event_t   event;
    if (!portfolio_account(e->portfolio, account, 0, &a)) {
        return;
    }
    const risk_pnl_t pnl = {.day = a.pnl_day, .realised = a.realised_day, .equity = a.equity};
    risk_loss(e->risk, account, &pnl, e->now, &event);
    if (event.level == RISK_LOSS_NONE) {
        return;
    }
    emit_alarm(e, (alarm_t){.kind       = ALARM_LOSS,
                            .code       = event.code,
                            .account_id = account,
                            .observed   = event.observed,
                            .limit      = event.limit});
    if (event.level == RISK_LOSS_KILL) {
        kill_set(e, &(control_t){.kind = CONTROL_KILL, .scope_type = SCOPE_ACCOUNT, .scope_id = account, .value = 1});
    }
}

/* New best prices of a LIVE book: positions and exposure take their value from them. */
static void mark(engine_t *e, uint32_t id)
{
    ins_state_t *ins = &e->ins[id];
    risk_md_t    md;
    market_view(e, id, &md);
    if (!md.has_bid && !md.has_ask && !md.has_last) {
        return;
    }
    const int64_t bid   = md.has_bid ? md.bid_px : md.has_last ? md.last_px : md.ask_px;
    const int64_t ask   = md.has_ask ? md.ask_px : md.has_last ? md.last_px : md.bid_px;
    const bool    moved = !ins->marked || bid != ins->mark_bid || ask != ins->mark_ask;
    ins->marked         = 1;
    ins->mark_bid       = bid;
    ins->mark_ask       = ask;
    if (portfolio_mark(e->portfolio, id, bid, ask) !=
        ERR_OK) { /* the value of a position does not fit: the old mark stays */
        emit_alarm(e, (alarm_t){.kind = ALARM_LIMIT, .instrument_id = id, .observed = bid, .limit = ask});
    }
    if (!moved) {
        return;
    }
    risk_mark(e->risk, &ins->ins, &md, e->now);
    for (uint32_t account = 1; account <= e->s->accounts_max; account++) {
        risk_exposure_t exposure;
        if (e->accounts[account].open && risk_exposure(e->risk, account, id, &exposure) && exposure.pos != 0) {
            judge_loss(e, account);
        }
    }
}

/* ---- inputs ------------------------------------------------------------------------------------------------------ */
static err_t on_instrument(engine_t *e, const msg_t *in)
{
    instrument_def_t def = *(const instrument_def_t *)in->body;
    if (!in->text || !in->tail || in->tail_count == 0) {
        return err_set(ERR_ARG, "engine: an instrument definition without symbol or tick bands");
    }
    const uint32_t id = e->s->instrument_count + 1;
    if (id > e->s->instruments_max) {
        return err_set(ERR_LIMIT, "engine: instrument %s is one more than the %u configured", in->text,
                       e->s->instruments_max);
    }
    if (def.instrument_id != 0 && def.instrument_id != id) {
        return err_set(ERR_ARG, "engine: instrument %s says id %u, the next one is %u", in->text, def.instrument_id,
                       id);
    }
    if (engine_instrument_find(e, def.venue_id, in->text)) {
        return err_set(ERR_EXISTS, "engine: instrument %s of venue %u is defined already", in->text, def.venue_id);
    }
    def.instrument_id = id;
    ins_state_t *ins  = &e->ins[id];
    err_t        err  = instrument_init(&ins->ins, &def, in->text, in->tail, in->tail_count);
    if (!err) {
        err = portfolio_define(e->portfolio, &ins->ins);
    }
    if (err) {
        return err;
    }
    if (!book_new(book_of(e, id), &e->s->book_cfg, &ins->ins)) {
        return ERR_ARG;
    }
    ins->health            = (uint8_t)book_health(book_of(e, id));
    e->s->instrument_count = id;
    return ERR_OK;
}

static void on_book_update(engine_t *e, const msg_t *in)
{
    const book_update_t *upd    = in->body;
    const uint32_t       id     = upd->instrument_id;
    book_t              *book   = book_of(e, id);
    const uint32_t       levels = (uint32_t)upd->bid_count + upd->ask_count;
    static const level_t none;
    if (levels > in->tail_count || (levels && !in->tail)) { /* says more levels than there are */
        book_feed(book, &(feed_state_t){.instrument_id = id, .health = FEED_BROKEN, .reason = FEED_REASON_GARBLED},
                  e->now.mono_ns);
        tell_feed(e, id);
        return;
    }
    const err_t err = book_apply(book, upd, in->tail ? in->tail : &none, e->now.mono_ns);
    tell_feed(e, id);
    if (err == ERR_OK && (upd->flags & BOOK_FLAG_LAST) && (upd->flags & BOOK_FLAG_SNAPSHOT)) {
        e->ins[id].quote = (top_t){0}; /* a new beginning: the venue may have begun its ids anew as well */
    }
    if (err == ERR_OK && (upd->flags & BOOK_FLAG_LAST) && book_health(book) == FEED_LIVE) {
        mark(e, id);
        tell_book(e, id);
    }
}

static void on_top(engine_t *e, const top_t *top)
{
    ins_state_t *ins = &e->ins[top->instrument_id];
    if (top->venue_seq < ins->quote.venue_seq && e->now.mono_ns - ins->quote_mono_ns <= e->s->stale_ns) {
        return; /* older than the one we have, which is not old itself (a venue may begin its ids anew) */
    }
    ins->quote         = *top;
    ins->quote_mono_ns = e->now.mono_ns;
    if (quote_leads(e, ins, book_of(e, top->instrument_id))) {
        mark(e, top->instrument_id);
        tell_book(e, top->instrument_id);
    }
}

static void on_trade(engine_t *e, const trade_t *trade)
{
    ins_state_t *ins  = &e->ins[trade->instrument_id];
    ins->last         = *trade;
    ins->last_mono_ns = e->now.mono_ns;
    ins->has_last     = 1;
    for (uint32_t i = 0; i < e->s->strategy_count; i++) {
        if (e->ops[i]->on_trade && sees(e, i, ins)) {
            const strategy_ctx_t ctx = ctx_for(e, i);
            e->ops[i]->on_trade(state_of(e, i), &ctx, trade);
        }
    }
}

/* Book what a report did to money. Failing here would lose a fill, so the account is closed to new orders instead. */
static void book_fill(engine_t *e, const order_effect_t *effect)
{
    const bool       bust       = effect->alarms & 1u << ALARM_BUST;
    const int64_t    signed_qty = bust ? -effect->qty : effect->qty;
    portfolio_fill_t fill       = {.account_id    = effect->account_id,
                                   .instrument_id = effect->instrument_id,
                                   .side          = signed_qty > 0 ? SIDE_BUY : SIDE_SELL,
                                   .qty           = signed_qty > 0 ? signed_qty : -signed_qty,
                                   .px            = effect->px,
                                   .fee           = bust ? -effect->fee : effect->fee};
    const err_t      err        = bust ? portfolio_bust(e->portfolio, &fill) : portfolio_fill(e->portfolio, &fill);
    if (err) {
        if (effect->account_id <= e->s->accounts_max) {
            e->accounts[effect->account_id].unbooked = 1;
        }
        risk_control(e->risk, &(control_t){.kind       = CONTROL_UNRECONCILED,
                                           .scope_type = SCOPE_ACCOUNT,
                                           .scope_id   = effect->account_id,
                                           .value      = 1});
        emit_alarm(e, (alarm_t){.kind          = ALARM_ACCOUNT_UNRECONCILED,
                                .code          = (uint16_t)err,
                                .account_id    = effect->account_id,
                                .instrument_id = effect->instrument_id,
                                .observed      = effect->qty});
        return;
    }
    position_t position;
    if (portfolio_position(e->portfolio, effect->account_id, effect->instrument_id, &position)) {
        position.event_seq = e->s->seq;
        emit(e, MSG_POSITION, &position);
    }
}

static void on_exec_report(engine_t *e, const exec_report_t *in)
{
    const ins_state_t *ins = ins_of(e, in->instrument_id);
    order_effect_t     effect;
    exec_report_t      report = *in;
    if (in->instrument_id == 0 && in->cl_ord_id && order_find(e->orders, in->cl_ord_id) != ORDER_NONE) {
        ins = ins_of(e, order_at(e->orders, order_find(e->orders, in->cl_ord_id))->instrument_id);
    }
    order_apply_exec(e->orders, in, ins ? &ins->ins : NULL, &effect);
    if (ins) {
        if (!risk_exec(e->risk, &ins->ins, &effect)) { /* a fill of an account that we have no room for */
            effect.alarms |= 1u << ALARM_ACCOUNT_UNRECONCILED;
        }
    }
    report.account_id    = effect.account_id;
    report.strategy_id   = effect.strategy_id;
    report.instrument_id = effect.instrument_id;
    if (effect.row != ORDER_NONE) {
        const order_t *order = order_at(e->orders, effect.row);
        report.ord_status    = order->ord_status;
        report.cum_qty       = order->cum_qty;
        report.leaves_qty    = order_leaves(order);
        report.order_qty     = order->order_qty;
        report.px            = order->px;
        report.corr_hi       = order->corr_hi;
        report.corr_lo       = order->corr_lo;
    }
    if (!effect.duplicate) {
        emit(e, MSG_EXEC_REPORT, &report);
    }
    if (effect.booked) {
        book_fill(e, &effect);
    }
    for (uint32_t kind = 1; effect.alarms && kind < ALARM_KIND_COUNT; kind++) {
        if (effect.alarms & 1u << kind) {
            emit_alarm(e, (alarm_t){.kind          = (uint16_t)kind,
                                    .cl_ord_id     = in->cl_ord_id,
                                    .account_id    = effect.account_id,
                                    .instrument_id = effect.instrument_id,
                                    .observed      = in->last_qty});
        }
    }
    if (effect.booked) {
        judge_loss(e, effect.account_id);
    }
    const uint32_t slot = effect.strategy_id;
    if (!effect.duplicate && slot >= 1 && slot <= e->s->strategy_count && e->ops[slot - 1]->on_exec) {
        const strategy_ctx_t ctx = ctx_for(e, slot - 1);
        e->ops[slot - 1]->on_exec(state_of(e, slot - 1), &ctx, &report);
    }
}

/* The trading day is the UTC day: profit, loss and drawdown of "today" begin with it. */
static void day_roll(engine_t *e)
{
    const int64_t day = e->now.utc_ns / NS_PER_DAY;
    if (day == e->s->day) {
        return;
    }
    e->s->day = day;
    for (uint32_t account = 1; account <= e->s->accounts_max; account++) {
        if (e->accounts[account].open) {
            portfolio_day_start(e->portfolio, account);
        }
    }
}

static void on_tick(engine_t *e)
{
    for (uint32_t id = 1; id <= e->s->instrument_count; id++) {
        book_age(book_of(e, id), e->now.mono_ns, e->s->stale_ns);
        tell_feed(e, id);
    }
    for (uint32_t account = 1; account <= e->s->accounts_max; account++) {
        if (e->accounts[account].open) {
            judge_loss(e, account);
        }
    }
    for (uint32_t i = 0; i < e->s->strategy_count; i++) {
        if (e->ops[i]->on_tick) {
            const strategy_ctx_t ctx = ctx_for(e, i);
            e->ops[i]->on_tick(state_of(e, i), &ctx);
        }
    }
}

static uint32_t instrument_id_of(const msg_t *in)
{
    switch (in->type) {
    case MSG_BOOK_UPDATE: return ((const book_update_t *)in->body)->instrument_id;
    case MSG_TRADE: return ((const trade_t *)in->body)->instrument_id;
    case MSG_TOP: return ((const top_t *)in->body)->instrument_id;
    default: return ((const feed_state_t *)in->body)->instrument_id;
    }
}

static err_t dispatch(engine_t *e, const msg_t *in)
{
    switch (in->type) {
    case MSG_INSTRUMENT_DEF: return on_instrument(e, in);
    case MSG_BOOK_UPDATE:
    case MSG_TRADE:
    case MSG_TOP:
    case MSG_FEED_STATE: {
        const uint32_t id = instrument_id_of(in);
        if (!ins_of(e, id)) {
            return err_set(ERR_NOT_FOUND, "engine: %s of instrument %u, of which there are %u", msg_type_str(in->type),
                           id, e->s->instrument_count);
        }
        if (in->type == MSG_BOOK_UPDATE) {
            on_book_update(e, in);
        } else if (in->type == MSG_TRADE) {
            on_trade(e, in->body);
        } else if (in->type == MSG_TOP) {
            on_top(e, in->body);
        } else {
            book_feed(book_of(e, id), in->body, e->now.mono_ns);
            tell_feed(e, id);
        }
        return ERR_OK;
    }
    case MSG_EXEC_REPORT: on_exec_report(e, in->body); return ERR_OK;
    case MSG_ORDER_REQUEST: request_from_outside(e, in->body); return ERR_OK;
    case MSG_TICK: on_tick(e); return ERR_OK;
    case MSG_CONTROL: {
        const control_t *control = in->body;
        if (control->kind == CONTROL_UNRECONCILED && !control->value && control->scope_id <= e->s->accounts_max &&
            e->accounts[control->scope_id].unbooked) {
            return err_set(ERR_STATE,
                           "engine: account %u holds a fill that was not booked as money; it stays unreconciled",
                           control->scope_id);
        }
        const err_t err = risk_control(e->risk, control);
        if (!err && control->kind == CONTROL_KILL) {
            kill_set(e, control);
        }
        return err;
    }
    default: return err_set(ERR_ARG, "engine: %s is no input", msg_type_str(in->type));
    }
}

#ifdef DCHECK
/* Slow, so only in sanitizer builds, after every input: equity by the ledger equals equity by the positions, to the
 * unit, and the gate counts the same position as the portfolio. */
static void check_money(const engine_t *e)
{
    for (uint32_t account = 1; account <= e->s->accounts_max; account++) {
        int64_t cash_side, pnl_side;
        for (uint32_t k = 0; portfolio_equity_cash_side(e->portfolio, account, k, &cash_side); k++) {
            assert(portfolio_equity_pnl_side(e->portfolio, account, k, &pnl_side));
            assert(cash_side == pnl_side);
        }
        for (uint32_t id = 1; id <= e->s->instrument_count; id++) {
            position_t      position;
            risk_exposure_t exposure;
            if (!e->accounts[account].unbooked && portfolio_position(e->portfolio, account, id, &position)) {
                assert(risk_exposure(e->risk, account, id, &exposure));
                assert(exposure.pos == position.qty);
            }
        }
    }
}
#endif

err_t engine_apply(engine_t *e, now_t now, const msg_t *in, engine_out_t *out)
{
    out->len = 0;
    if (out->cap < ENGINE_OUT_MAX) {
        return err_set(ERR_LIMIT, "engine: output buffer of %u bytes, %u are needed", out->cap, ENGINE_OUT_MAX);
    }
    e->out           = out;
    e->now           = now;
    e->input_actions = 0;
    e->s->seq++;
    day_roll(e);
    const err_t err = dispatch(e, in);
    if (e->s->kill_count) {
        sweep(e);
    }
#ifdef DCHECK
    check_money(e);
#endif
    return err;
}

/* ---- set-up and reading ------------------------------------------------------------------------------------------ */
err_t engine_account_open(engine_t *e, uint32_t account_id, uint64_t ccy, int8_t money_exp, int64_t initial)
{
    const risk_account_cfg_t cfg = {.ccy       = ccy,
                                    .tenant_id = e->s->tenant_id,
                                    .money_exp = money_exp,
                                    .may_trade = 1,
                                    .may_short = 1,
                                    .ord_types = 1u << ORD_TYPE_MARKET | 1u << ORD_TYPE_LIMIT,
                                    .venues    = ~1ull};
    err_t                    err = risk_account_open(e->risk, account_id, &cfg);
    if (!err) {
        err = portfolio_account_open(e->portfolio, account_id, ccy, initial);
    }
    if (!err) {
        e->accounts[account_id] = (account_state_t){.ccy = ccy, .open = 1};
    }
    return err;
}

risk_t *engine_risk(engine_t *e)
{
    return e->risk;
}

uint32_t engine_instrument_count(const engine_t *e)
{
    return e->s->instrument_count;
}

uint32_t engine_instrument_find(const engine_t *e, uint16_t venue_id, const char *symbol)
{
    for (uint32_t id = 1; id <= e->s->instrument_count; id++) {
        if (e->ins[id].ins.def.venue_id == venue_id && strcmp(e->ins[id].ins.symbol, symbol) == 0) {
            return id;
        }
    }
    return 0;
}

const instrument_t *engine_instrument(const engine_t *e, uint32_t id)
{
    const ins_state_t *ins = ins_of(e, id);
    return ins ? &ins->ins : NULL;
}

const book_t *engine_book(const engine_t *e, uint32_t id)
{
    return ins_of(e, id) ? book_of(e, id) : NULL;
}

const order_table_t *engine_orders(const engine_t *e)
{
    return e->orders;
}
const portfolio_t *engine_portfolio(const engine_t *e)
{
    return e->portfolio;
}
uint64_t engine_output_hash(const engine_t *e)
{
    return e->s->output_hash;
}

uint64_t engine_state_hash(const engine_t *e)
{
    const engine_state_t *s = e->s;
    uint64_t              h = hash_u64(hash_u64(0, s->seq), s->output_hash);
    h                       = hash_i64(hash_u64(hash_u64(h, s->minted), s->epoch), s->day);
    h                       = hash_bytes(h, s->kills, sizeof s->kills[0] * s->kill_count);
    for (uint32_t id = 1; id <= s->instrument_count; id++) {
        const ins_state_t *ins = &e->ins[id];
        h                      = instrument_hash(h, &ins->ins);
        h                      = hash_bytes(h, &ins->last, sizeof ins->last);
        h                      = hash_bytes(h, &ins->quote, sizeof ins->quote);
        h = hash_i64(hash_i64(hash_i64(hash_i64(h, ins->last_mono_ns), ins->quote_mono_ns), ins->mark_bid),
                     ins->mark_ask);
        h = hash_u64(h, (uint64_t)ins->marked << 16 | (uint64_t)ins->health << 8 | ins->has_last);
        h = book_hash(h, book_of(e, id));
    }
    h = order_hash(h, e->orders);
    h = risk_hash(h, e->risk);
    h = portfolio_hash(h, e->portfolio);
    for (uint32_t i = 0; i < s->strategy_count; i++) {
        h = hash_bytes(h, &s->strategies[i].cfg, sizeof s->strategies[i].cfg);
        h = hash_u64(h, s->strategies[i].minted);
        h = hash_bytes(h, state_of(e, i), s->strategies[i].state_bytes);
    }
    return h;
}
