#include "core/engine/engine_private.h"

#define ENGINE_MAGIC 0x32656e6967656e65ull
#define ENGINE_ALIGN 4096u
#define POSITIONS_DEFAULT (1 << 18)
#define LOTS_DEFAULT (1u << 16)
#define FETCH_MAX 4u /* strategies whose rows are fetched ahead */
_Static_assert(ENGINE_STRATEGIES_MAX + ENGINE_LANES_MAX < CL_ORD_ID_ORIGINS, "each has an origin of its own");
#define STALE_MONO_NS (INT64_MIN / 4) /* a time so long ago that no age limit allows it */

/* ---- layout ------------------------------------------------------------------------------------------------------ */
static uint64_t up(uint64_t n)
{
    return (n + (ENGINE_ALIGN - 1)) & ~(uint64_t)(ENGINE_ALIGN - 1);
}

static order_cfg_t order_cfg_of(const engine_cfg_t *cfg)
{
    return (order_cfg_t){.orders_max      = cfg->orders_max,
                         .fills_max       = cfg->fills_max,
                         .instruments_max = cfg->instruments_max,
                         .answer_ns       = cfg->answer_ns};
}

static risk_cfg_t risk_cfg_of(const engine_cfg_t *cfg)
{
    risk_cfg_t risk      = cfg->risk;
    risk.accounts_max    = cfg->accounts_max;
    risk.instruments_max = cfg->instruments_max;
    risk.day_offset_ns   = cfg->day_offset_min * (60 * NS_PER_S);
    risk.strategies_max = (uint32_t)max_i64(1, (int64_t)cfg->strategy_count + cfg->lanes_max); /* a lane has one's id */
    return risk;
}

/* Bytes of marks for the numbers 0 .. most. */
static uint64_t marks_bytes(uint64_t most)
{
    return (most / 64 + 1) * sizeof(uint64_t);
}

/* Symbols, and the marks of engine_due.c. Returns where they end. */
static uint64_t layout_finders(const engine_cfg_t *cfg, engine_state_t *s, uint64_t at)
{
    s->symbol_slots = 2;
    while (s->symbol_slots <= 2 * cfg->instruments_max) { /* never more than half full */
        s->symbol_slots *= 2;
    }
    s->held_words = (uint32_t)(marks_bytes(cfg->instruments_max) / sizeof(uint64_t));
    s->symbol_off = at;
    at            = up(at + sizeof(uint32_t) * s->symbol_slots);
    s->due_off    = at;
    s->ask_off    = s->due_off + marks_bytes(cfg->instruments_max);
    s->judge_off  = s->ask_off + marks_bytes(cfg->instruments_max);
    s->wait_off   = s->judge_off + marks_bytes(cfg->accounts_max);
    s->held_off   = s->wait_off + marks_bytes(cfg->orders_max);
    return up(s->held_off + sizeof(uint64_t) * s->held_words * (cfg->accounts_max + 1ull));
}

/* An account's position, its two sides, and those of each strategy. */
static portfolio_cfg_t portfolio_cfg_of(const engine_cfg_t *cfg)
{
    const uint64_t all =
        (uint64_t)cfg->accounts_max * cfg->instruments_max * 2 * (1 + cfg->strategy_count + cfg->lanes_max);
    return (portfolio_cfg_t){.accounts_max    = cfg->accounts_max,
                             .instruments_max = cfg->instruments_max,
                             .rows_max        = cfg->positions_max ? cfg->positions_max
                                                                   : (uint32_t)min_i64((int64_t)all, POSITIONS_DEFAULT),
                             .lots_max        = cfg->lots_max ? cfg->lots_max : LOTS_DEFAULT,
                             .facts_max       = cfg->fills_max};
}

/* Held orders: rows, curves and phases of trading. Returns where they end; 0 and a sentence on a bad cfg. */
static held_cfg_t held_cfg_of(const engine_cfg_t *cfg)
{
    const uint32_t rows = cfg->held_max ? cfg->held_max : ENGINE_HELD_DEFAULT;
    return (held_cfg_t){.rows_max = rows, .slices_max = 4 * rows, .instruments_max = cfg->instruments_max};
}

static uint64_t layout_held(const engine_cfg_t *cfg, engine_state_t *s, uint64_t at)
{
    const held_cfg_t held  = held_cfg_of(cfg);
    const size_t     bytes = held_footprint(&held);
    s->held_markets_off    = at;
    at                     = up(at + sizeof(held_market_t) * (cfg->instruments_max + 1ull));
    s->held_venues_off     = at;
    at                     = up(at + sizeof(held_venue_t) * (cfg->risk.venues_max + 1ull));
    s->held_orders_off     = at;
    return bytes ? up(at + bytes) : 0;
}

/* One place says where everything lies: footprint and new both come here. false = a sentence was set. */
static bool layout(const engine_cfg_t *cfg, engine_state_t *s)
{
    const order_cfg_t     order     = order_cfg_of(cfg);
    const risk_cfg_t      risk      = risk_cfg_of(cfg);
    const portfolio_cfg_t portfolio = portfolio_cfg_of(cfg);
    if (cfg->epoch > CL_ORD_ID_EPOCH_MAX || cfg->strategy_count > ENGINE_STRATEGIES_MAX ||
        cfg->lanes_max > ENGINE_LANES_MAX || cfg->tenant_id == 0 || cfg->tenant_id > cfg->risk.tenants_max ||
        cfg->stale_ns <= 0 || cfg->day_offset_min < -720 || cfg->day_offset_min > 840) {
        err_set(ERR_ARG,
                "engine: epoch %u (0..%u), strategies %u (0..%u), lanes %u (0..%u), tenant %u (1..%u), stale_ns or "
                "day_offset_min out of range",
                cfg->epoch, CL_ORD_ID_EPOCH_MAX, cfg->strategy_count, ENGINE_STRATEGIES_MAX, cfg->lanes_max,
                ENGINE_LANES_MAX, cfg->tenant_id, cfg->risk.tenants_max);
        return false;
    }
    const size_t order_bytes = order_footprint(&order), risk_bytes = risk_footprint(&risk);
    const size_t portfolio_bytes = portfolio_footprint(&portfolio), book_bytes = book_footprint(&cfg->book);
    if (!order_bytes || !risk_bytes || !portfolio_bytes || !book_bytes) {
        return false;
    }
    if (cfg->instruments_max > ENGINE_INSTRUMENTS_MAX || cfg->accounts_max > ENGINE_ACCOUNTS_MAX) {
        err_set(ERR_ARG, "engine: room for %u instruments (at most %u) and %u accounts (at most %u)",
                cfg->instruments_max, ENGINE_INSTRUMENTS_MAX, cfg->accounts_max, ENGINE_ACCOUNTS_MAX);
        return false;
    }
    if (cfg->mbo_books > cfg->instruments_max) {
        err_set(ERR_ARG, "engine: %u books of single orders, limit %u, as many as instruments", cfg->mbo_books,
                cfg->instruments_max);
        return false;
    }
    const size_t l3_bytes = cfg->mbo_books ? l3_footprint(&cfg->mbo) : 0;
    if (cfg->mbo_books && !l3_bytes) {
        return false;
    }
    uint64_t at           = up(sizeof *s);
    s->ins_off            = at;
    at                    = up(at + sizeof(ins_state_t) * (cfg->instruments_max + 1ull));
    s->account_off        = at;
    at                    = up(at + sizeof(account_state_t) * (cfg->accounts_max + 1ull));
    s->recon_off          = at;
    at                    = up(at + sizeof(recon_t) * (cfg->accounts_max + 1ull) * (cfg->risk.venues_max + 1ull));
    s->venue_position_off = at;
    at = up(at + sizeof(venue_position_t) * (cfg->accounts_max + 1ull) * (cfg->instruments_max + 1ull));
    at = layout_finders(cfg, s, at);
    at = layout_held(cfg, s, at);
    if (at == 0) {
        return false;
    }
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
    at            = at + s->book_bytes * cfg->instruments_max;
    s->l3_bytes   = up(l3_bytes);
    s->l3_off     = at;
    s->bytes      = up(at + s->l3_bytes * cfg->mbo_books);
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
    s->core_version                 = ENGINE_CORE_VERSION;
    s->boot.epoch                   = cfg->epoch;
    s->venues_max                   = cfg->risk.venues_max;
    s->tenant_id                    = cfg->tenant_id;
    s->instruments_max              = cfg->instruments_max;
    s->accounts_max                 = cfg->accounts_max;
    s->strategy_count               = cfg->strategy_count;
    s->lanes_max                    = cfg->lanes_max;
    s->stale_ns                     = cfg->stale_ns;
    s->day_offset_ns                = cfg->day_offset_min * (60 * NS_PER_S);
    s->act.stp_mode                 = cfg->risk.stp_mode;
    s->due_width_ns                 = max_i64(cfg->stale_ns, ASK_AGAIN_NS) / (DUE_SLOTS / 2) + 1;
    s->recons_ns                    = DUE_NEVER;
    s->book_cfg                     = cfg->book;
    s->mbo_cfg                      = cfg->mbo;
    s->mbo_books                    = cfg->mbo_books;
    const order_cfg_t     order     = order_cfg_of(cfg);
    const risk_cfg_t      risk      = risk_cfg_of(cfg);
    const portfolio_cfg_t portfolio = portfolio_cfg_of(cfg);
    if (!order_new(base + s->order_off, &order) || !risk_new(base + s->risk_off, &risk) ||
        !portfolio_new(base + s->portfolio_off, &portfolio)) {
        return NULL;
    }
    const held_cfg_t held = held_cfg_of(cfg);
    if (!held_new(base + s->held_orders_off, &held)) {
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
    for (uint32_t id = 1; id <= cfg->lanes_max; id++) {
        s->lanes[id - 1].lane =
            (lane_t){.lane_id = id, .tenant_id = cfg->tenant_id, .strategy_id = cfg->strategy_count + id};
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
    if (s->magic != ENGINE_MAGIC || s->core_version != ENGINE_CORE_VERSION) {
        err_set(ERR_STATE, "engine: no engine of version %u in this memory (magic %016llx, version %u)",
                ENGINE_CORE_VERSION, (unsigned long long)s->magic, s->core_version);
        return NULL;
    }
    *e = (engine_t){.s               = s,
                    .ins             = (ins_state_t *)(void *)(base + s->ins_off),
                    .accounts        = (account_state_t *)(void *)(base + s->account_off),
                    .recons          = (recon_t *)(void *)(base + s->recon_off),
                    .venue_positions = (venue_position_t *)(void *)(base + s->venue_position_off),
                    .orders          = order_join(base + s->order_off),
                    .risk            = risk_join(base + s->risk_off),
                    .portfolio       = portfolio_join(base + s->portfolio_off),
                    .held_orders     = held_join(base + s->held_orders_off),
                    .held_markets    = (held_market_t *)(void *)(base + s->held_markets_off),
                    .held_venues     = (held_venue_t *)(void *)(base + s->held_venues_off),
                    .symbols         = (uint32_t *)(void *)(base + s->symbol_off),
                    .due             = (uint64_t *)(void *)(base + s->due_off),
                    .ask             = (uint64_t *)(void *)(base + s->ask_off),
                    .wait            = (uint64_t *)(void *)(base + s->wait_off),
                    .judge           = (uint64_t *)(void *)(base + s->judge_off),
                    .held            = (uint64_t *)(void *)(base + s->held_off)};
    for (uint32_t i = 0; i < s->strategy_count; i++) {
        e->ops[i] = strategy_find(s->strategies[i].name);
        if (e->ops[i]) {
            e->on_book |= (uint64_t)(e->ops[i]->on_book != NULL) << i;
            e->on_trade |= (uint64_t)(e->ops[i]->on_trade != NULL) << i;
            e->on_feed |= (uint64_t)(e->ops[i]->on_feed != NULL) << i;
        } else {
            err_set(ERR_NOT_FOUND, "engine: no strategy \"%s\" in this build", s->strategies[i].name);
            return NULL;
        }
    }
    return e->orders && e->risk && e->portfolio && e->held_orders ? e : NULL;
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
static bool quote_leads(const engine_t *e, now_t now, const ins_state_t *ins, view_t book)
{
    return ins->quote.venue_seq > view_venue_seq(book) && view_health(book) == FEED_LIVE &&
           now.mono_ns - ins->quote_mono_ns <= e->s->stale_ns;
}

bool engine_best_view(const engine_t *e, now_t now, uint32_t id, top_t *out, int64_t *mono_ns)
{
    const ins_state_t *ins  = &e->ins[id];
    const view_t       book = market_of(e, id);
    if (quote_leads(e, now, ins, book)) {
        *out     = ins->quote;
        *mono_ns = ins->quote_mono_ns;
        return true;
    }
    *mono_ns = view_updated_mono_ns(book);
    return view_best(book, &out->bid_px, &out->bid_qty, &out->ask_px, &out->ask_qty);
}

void engine_market_view(const engine_t *e, now_t now, uint32_t id, risk_md_t *md)
{
    const ins_state_t  *ins    = &e->ins[id];
    const feed_health_t health = view_health(market_of(e, id));
    top_t               best;
    *md = (risk_md_t){.last_px = ins->last.px, .last_mono_ns = ins->last_mono_ns, .has_last = ins->has_last};
    engine_best_view(e, now, id, &best, &md->book_mono_ns);
    md->bid_px  = best.bid_px;
    md->ask_px  = best.ask_px;
    md->has_bid = best.bid_qty > 0;
    md->has_ask = best.ask_qty > 0;
    if (health == FEED_STALE) {
        md->book_mono_ns = STALE_MONO_NS; /* whatever its age: nothing is priced on it */
    }
    md->feed_gap       = health == FEED_BROKEN || health == FEED_RECOVERING;
    md->prev_close     = ins->day.prev_close_px;
    md->has_prev_close = ins->day.prev_close_qty > 0;
}

void engine_order_view(const engine_t *e, now_t now, uint32_t id, risk_md_t *md)
{
    int64_t up, down;
    engine_market_view(e, now, id, md);
    if (risk_depth_px(e->risk, &e->ins[id].ins, md, now, &up, &down)) {
        md->ask_depth = view_depth_within(market_of(e, id), SIDE_SELL, up);
        md->bid_depth = view_depth_within(market_of(e, id), SIDE_BUY, down);
    }
}

/* ---- telling strategies ------------------------------------------------------------------------------------------ */
/* Strategies that see an instrument, lowest slot first: bits are visited, not strategies. */
static void tell_book(engine_t *e, uint32_t id)
{
    for (uint64_t left = e->ins[id].sees & e->on_book; left; left &= left - 1) {
        const uint32_t       i   = (uint32_t)__builtin_ctzll(left);
        const strategy_ctx_t ctx = act_context(e, i);
        e->ops[i]->on_book(state_of(e, i), &ctx, id);
    }
}

static void tell_feed(engine_t *e, uint32_t id)
{
    ins_state_t  *ins    = &e->ins[id];
    const uint8_t health = (uint8_t)view_health(market_of(e, id)), before = ins->health;
    due_watch(e, id);
    if (health == before) {
        return;
    }
    ins->health = health;
    if (health != FEED_LIVE) {
        portfolio_mark_stale(e->portfolio, id);
    }
    if (before == FEED_LIVE || health == FEED_BROKEN) { /* a first snapshot on its way is no news for a person */
        emit_alarm(e, (alarm_t){.kind          = ALARM_FEED,
                                .code          = (uint16_t)view_reason(market_of(e, id)),
                                .instrument_id = id,
                                .observed      = health});
    }
    if (health == FEED_BROKEN) {
        recover_book(e, id);
    }
    for (uint64_t left = ins->sees & e->on_feed; left; left &= left - 1) {
        const uint32_t       i   = (uint32_t)__builtin_ctzll(left);
        const strategy_ctx_t ctx = act_context(e, i);
        e->ops[i]->on_feed(state_of(e, i), &ctx, id, (feed_health_t)health);
    }
}

/* ---- inputs ------------------------------------------------------------------------------------------------------ */
static bool same_instrument(const instrument_t *a, const instrument_def_t *def, const tick_band_t *bands,
                            uint32_t band_count)
{
    instrument_def_t given = *def;
    given.instrument_id    = given.instrument_id ? given.instrument_id : a->def.instrument_id;
    return memcmp(&a->def, &given, sizeof given) == 0 && a->band_count == band_count &&
           memcmp(a->bands, bands, band_count * sizeof *bands) == 0;
}

static err_t on_instrument(engine_t *e, const msg_t *in)
{
    instrument_def_t   def   = *(const instrument_def_t *)in->body;
    const tick_band_t *bands = in->tail;
    if (!in->text || !bands || in->tail_count == 0) {
        return err_set(ERR_ARG, "engine: an instrument definition without symbol or tick bands");
    }
    const uint32_t known = engine_instrument_find(e, def.venue_id, in->text);
    if (known) {
        return same_instrument(&e->ins[known].ins, &def, bands, in->tail_count)
                   ? ERR_OK
                   : err_set(ERR_EXISTS, "engine: instrument %s of venue %u is %u already, and defined otherwise",
                             in->text, def.venue_id, known);
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
    if (def.venue_id == 0 || def.venue_id > e->s->venues_max) {
        return err_set(ERR_ARG, "engine: instrument %s names venue %u, not one of 1..%u", in->text, def.venue_id,
                       e->s->venues_max);
    }
    def.instrument_id = id;
    ins_state_t *ins  = &e->ins[id];
    err_t        err  = instrument_init(&ins->ins, &def, in->text, bands, in->tail_count);
    if (!err) {
        err = portfolio_define(e->portfolio, &ins->ins);
    }
    if (err) {
        return err;
    }
    if (!book_new(book_of(e, id), &e->s->book_cfg, &ins->ins)) {
        return ERR_ARG;
    }
    ins->health        = (uint8_t)book_health(book_of(e, id));
    ins->asked_mono_ns = e->now.mono_ns;
    ins->due_ns        = DUE_NEVER;
    statistics_new(&ins->day, id, e->now.utc_ns);
    e->s->instrument_count                         = id;
    *engine_symbol_slot(e, def.venue_id, in->text) = id;
    for (uint32_t i = 0; i < e->s->strategy_count; i++) {
        ins->sees |= (uint64_t)act_sees(e, i, ins) << i;
    }
    due_watch(e, id);
    return ERR_OK;
}

/* When a message was received, by our monotonic clock: one that waited is as old as it is, so that what is decided on a
 * backlog counts as decided on old prices. A receive time that is missing or ahead of now says nothing. */
static int64_t received_mono_ns(engine_t *e, int64_t ts_recv_ns)
{
    e->cause_utc_ns   = ts_recv_ns;
    const bool waited = ts_recv_ns > 0 && ts_recv_ns < e->now.utc_ns;
    return waited ? e->now.mono_ns - (e->now.utc_ns - ts_recv_ns) : e->now.mono_ns;
}

/* What the adapter says of the feed. */
static void feed(engine_t *e, const feed_state_t *state)
{
    const uint32_t id = state->instrument_id;
    if (e->ins[id].feed == VIEW_L3) {
        l3_feed(l3_of(e, id), state, e->now.mono_ns);
    } else {
        book_feed(book_of(e, id), state, e->now.mono_ns);
    }
    tell_feed(e, id);
}

/* A message says more levels or orders than there are. */
static void feed_garbled(engine_t *e, uint32_t id)
{
    feed(e, &(feed_state_t){.instrument_id = id, .health = FEED_BROKEN, .reason = FEED_REASON_GARBLED});
}

/* The first book message of an instrument says how it is fed, for good. */
static err_t feed_decide(engine_t *e, uint32_t id, view_kind_t kind)
{
    ins_state_t *ins = &e->ins[id];
    if (ins->feed == (uint8_t)kind) {
        return ERR_OK;
    }
    if (ins->feed != VIEW_NONE) {
        return err_set(ERR_STATE, "engine: instrument %s is fed by %s, and a message of %s came", ins->ins.symbol,
                       kind == VIEW_L3 ? "levels" : "single orders", kind == VIEW_L3 ? "single orders" : "levels");
    }
    if (kind == VIEW_L3) {
        if (e->s->mbo_used == e->s->mbo_books) {
            return err_set(ERR_LIMIT, "engine: instrument %s would be one more than the %u fed by single orders",
                           ins->ins.symbol, e->s->mbo_books);
        }
        ins->l3 = e->s->mbo_used;
        if (!l3_new(l3_of(e, id), &e->s->mbo_cfg, &ins->ins)) {
            return ERR_ARG; /* its limits were checked by layout */
        }
        e->s->mbo_used++;
        /* what was said of the feed before stays said */
        const book_t *before = book_of(e, id);
        l3_feed(l3_of(e, id),
                &(feed_state_t){.health = (uint8_t)book_health(before), .reason = (uint8_t)book_reason(before)},
                e->now.mono_ns);
    }
    ins->feed = (uint8_t)kind;
    return ERR_OK;
}

/* A part of a book message was applied, or err says why not. */
static void book_moved(engine_t *e, uint32_t id, err_t err, uint32_t flags, int64_t ts_event_ns, int64_t ts_recv_ns)
{
    ins_state_t *ins = &e->ins[id];
    tell_feed(e, id);
    if (err != ERR_OK || !(flags & BOOK_FLAG_LAST)) {
        return;
    }
    ins->book_event_ns = ts_event_ns;
    ins->book_recv_ns  = ts_recv_ns;
    if (flags & BOOK_FLAG_SNAPSHOT) {
        ins->quote = (top_t){0}; /* a new beginning: the venue may have begun its ids anew as well */
    }
    if (view_health(market_of(e, id)) == FEED_LIVE) {
        money_mark(e, id);
        held_market(e, id);
        tell_book(e, id);
    }
}

static err_t on_mbo_update(engine_t *e, const msg_t *in)
{
    const mbo_update_t *upd    = in->body;
    const uint32_t      id     = upd->instrument_id;
    const err_t         closed = feed_decide(e, id, VIEW_L3);
    if (closed) {
        return closed;
    }
    if (upd->entry_count > in->tail_count || (upd->entry_count && !in->tail)) {
        feed_garbled(e, id);
        return ERR_OK;
    }
    const err_t err = l3_apply(l3_of(e, id), upd, in->tail, received_mono_ns(e, upd->ts_recv_ns));
    book_moved(e, id, err, upd->flags, upd->ts_event_ns, upd->ts_recv_ns);
    return ERR_OK;
}

static err_t on_book_update(engine_t *e, const msg_t *in)
{
    const book_update_t *upd    = in->body;
    const uint32_t       id     = upd->instrument_id;
    const err_t          closed = feed_decide(e, id, VIEW_L2);
    if (closed) {
        return closed;
    }
    const uint32_t       levels = (uint32_t)upd->bid_count + upd->ask_count;
    static const level_t none;
    if (levels > in->tail_count || (levels && !in->tail)) {
        feed_garbled(e, id);
        return ERR_OK;
    }
    const err_t err =
        book_apply(book_of(e, id), upd, in->tail ? in->tail : &none, received_mono_ns(e, upd->ts_recv_ns));
    book_moved(e, id, err, upd->flags, upd->ts_event_ns, upd->ts_recv_ns);
    return ERR_OK;
}

static void on_top(engine_t *e, const top_t *top)
{
    ins_state_t *ins = &e->ins[top->instrument_id];
    if (top->venue_seq < ins->quote.venue_seq && e->now.mono_ns - ins->quote_mono_ns <= e->s->stale_ns) {
        return; /* older than the one we have, which is not old itself (a venue may begin its ids anew) */
    }
    ins->quote         = *top;
    ins->quote_mono_ns = received_mono_ns(e, top->ts_recv_ns);
    if (quote_leads(e, e->now, ins, market_of(e, top->instrument_id))) {
        money_mark(e, top->instrument_id);
        held_market(e, top->instrument_id);
        tell_book(e, top->instrument_id);
    }
}

static void on_trade(engine_t *e, const trade_t *trade)
{
    ins_state_t *ins  = &e->ins[trade->instrument_id];
    ins->last         = *trade;
    ins->last_mono_ns = received_mono_ns(e, trade->ts_recv_ns);
    ins->has_last     = 1;
    if (statistics_trade(&ins->day, &ins->ins, trade, e->now.utc_ns)) {
        emit_alarm(e, (alarm_t){.kind          = ALARM_LIMIT,
                                .instrument_id = trade->instrument_id,
                                .observed      = trade->qty,
                                .limit         = INT64_MAX});
    }
    held_learn(e, trade);
    held_market(e, trade->instrument_id);
    for (uint64_t left = ins->sees & e->on_trade; left; left &= left - 1) {
        const uint32_t       i   = (uint32_t)__builtin_ctzll(left);
        const strategy_ctx_t ctx = act_context(e, i);
        e->ops[i]->on_trade(state_of(e, i), &ctx, trade);
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
        if (effect.booked && !effect.corrected && !(effect.alarms & 1u << ALARM_BUST)) {
            risk_traded(e->risk, &effect, e->now);
        }
    }
    if (effect.alarms & 1u << ALARM_ACCOUNT_UNRECONCILED) {
        recover_unreconciled(e, effect.account_id, UNRECONCILED_ALIEN);
    }
    if (effect.booked || effect.duplicate) {
        recover_executed(e, effect.account_id, effect.instrument_id, in->ts_event_ns);
    }
    report.account_id    = effect.account_id;
    report.strategy_id   = effect.strategy_id;
    report.instrument_id = effect.instrument_id;
    if (effect.row != ORDER_NONE) {
        const order_t *order = order_at(e->orders, effect.row);
        if (order_waits(order)) {
            recover_waits(e, effect.row);
        }
        report.ord_status = order->ord_status;
        report.cum_qty    = order->cum_qty;
        report.leaves_qty = order_leaves(order);
        report.order_qty  = order->order_qty;
        report.px         = order->px;
        report.corr_hi    = order->corr_hi;
        report.corr_lo    = order->corr_lo;
    }
    if (!effect.duplicate && !effect.repeated) {
        emit(e, MSG_EXEC_REPORT, &report);
    }
    if (ins) {
        money_hold(e, effect.account_id, effect.instrument_id, &effect.before, &effect.after);
    }
    if (effect.booked) {
        money_fill(e, &effect, in);
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
        money_judge(e, effect.account_id);
    }
    held_exec(e, &effect);
    if (!effect.repeated) {
        act_exec(e, in, &effect);
    }
    const uint32_t slot = effect.strategy_id;
    if (!effect.duplicate && !effect.repeated && slot >= 1 && slot <= e->s->strategy_count &&
        e->ops[slot - 1]->on_exec) {
        const strategy_ctx_t ctx = act_context(e, slot - 1);
        e->ops[slot - 1]->on_exec(state_of(e, slot - 1), &ctx, &report);
    }
}

/* Books that are too old, and broken ones that are to be asked about again; in the order of their ids, DUE_MAX with one
 * input: the others with the next ones. */
static void due_books(engine_t *e)
{
    const uint32_t end  = e->s->instrument_count + 1;
    uint32_t       left = DUE_MAX;
    for (uint32_t id = mark_next(e->due, 1, end); id < end; id = mark_next(e->due, id + 1, end)) {
        if (left-- == 0) {
            return;
        }
        mark_clear(e->due, id);
        if (e->ins[id].feed == VIEW_L3) {
            l3_age(l3_of(e, id), e->now.mono_ns, e->s->stale_ns);
        } else {
            book_age(book_of(e, id), e->now.mono_ns, e->s->stale_ns);
        }
        tell_feed(e, id);
        recover_book(e, id);
    }
    e->s->due_left = 0;
}

/* Marks and fills were judged when they came. What time alone does, to an account whose loss is latched, is judged with
 * each TICK; the others in turn, so that up to JUDGE_MAX accounts are all judged each time. */
static void tick_loss(engine_t *e)
{
    const uint32_t       count = e->s->account_count;
    risk_account_state_t state;
    for (uint32_t n = min_u32(count, JUDGE_MAX); n > 0; n--) {
        e->s->judge_at = e->s->judge_at < count ? e->s->judge_at : 0;
        mark_set(e->judge, ++e->s->judge_at);
    }
    for (uint32_t account = mark_next(e->judge, 1, count + 1); account <= count;
         account          = mark_next(e->judge, account + 1, count + 1)) {
        money_judge(e, account);
        if (!risk_account_state(e->risk, account, &state) || state.latched == 0) {
            mark_clear(e->judge, account);
        }
    }
}

static void on_tick(engine_t *e)
{
    due_turn(e);
    e->s->due_left = 1;
    due_books(e);
    recover_tick(e);
    act_tick(e);
    tick_loss(e);
    limit_tick(e);
    for (uint32_t i = 0; i < e->s->strategy_count; i++) {
        if (e->ops[i]->on_tick) {
            const strategy_ctx_t ctx = act_context(e, i);
            e->ops[i]->on_tick(state_of(e, i), &ctx);
        }
    }
}

err_t engine_control(engine_t *e, const control_t *control)
{
    if (control->kind == CONTROL_RECOVERING || control->kind == CONTROL_UNRECONCILED) {
        return recover_control(e, control);
    }
    if (control->kind == CONTROL_FLATTEN) {
        return act_flatten(e, control);
    }
    const err_t err = risk_control(e->risk, control);
    if (!err && control->scope_type == SCOPE_STRATEGY) { /* KILL, ENABLE: each lifts what it has set, and no more */
        act_kill(e, &(control_t){.kind       = CONTROL_KILL,
                                 .scope_type = SCOPE_STRATEGY,
                                 .scope_id   = control->scope_id,
                                 .value      = risk_strategy_killed(e->risk, control->scope_id)});
    } else if (!err && control->kind == CONTROL_KILL) {
        act_kill(e, control);
    } else if (!err && control->kind == CONTROL_VENUE_LINK) {
        recover_link(e, control->scope_id, control->value != 0);
    } else if (!err && control->kind == CONTROL_SESSION) {
        held_session(e, control);
    }
    return err;
}

static uint32_t instrument_id_of(const msg_t *in)
{
    switch (in->type) {
    case MSG_BOOK_UPDATE: return ((const book_update_t *)in->body)->instrument_id;
    case MSG_MBO_UPDATE: return ((const mbo_update_t *)in->body)->instrument_id;
    case MSG_TRADE: return ((const trade_t *)in->body)->instrument_id;
    case MSG_TOP: return ((const top_t *)in->body)->instrument_id;
    default: return ((const feed_state_t *)in->body)->instrument_id;
    }
}

/* What a market data message will read of its instrument is asked for before the first of it is needed: with thousands of
 * instruments nothing of it is in a cache, and one line after the other would be waited for. Nothing depends on it. */
static void fetch(const engine_t *e, const msg_t *in)
{
    const uint32_t id = instrument_id_of(in);
    if (id == 0 || id > e->s->instrument_count) {
        return;
    }
    const ins_state_t *ins = &e->ins[id];
    __builtin_prefetch(ins, 1);
    __builtin_prefetch(&ins->quote);
    __builtin_prefetch(&ins->last.px);
    __builtin_prefetch(&ins->ins.def);
    __builtin_prefetch((const char *)(&ins->ins.def + 1) - 1);
    book_prefetch(book_of(e, id));
    portfolio_prefetch(e->portfolio, id);
    for (uint32_t i = 0; i < min_u32(e->s->strategy_count, FETCH_MAX); i++) {
        risk_prefetch(e->risk, e->s->strategies[i].cfg.account_id, i + 1, id);
    }
}

static bool of_market(msg_type_t type)
{
    return type == MSG_BOOK_UPDATE || type == MSG_MBO_UPDATE || type == MSG_TRADE || type == MSG_TOP;
}

static err_t dispatch(engine_t *e, const msg_t *in)
{
    switch (in->type) {
    case MSG_INSTRUMENT_DEF: return on_instrument(e, in);
    case MSG_BOOK_UPDATE:
    case MSG_MBO_UPDATE:
    case MSG_TRADE:
    case MSG_TOP:
    case MSG_FEED_STATE: {
        const uint32_t id = instrument_id_of(in);
        if (!ins_of(e, id)) {
            return err_set(ERR_NOT_FOUND, "engine: %s of instrument %u, of which there are %u", msg_type_str(in->type),
                           id, e->s->instrument_count);
        }
        if (in->type == MSG_BOOK_UPDATE) {
            return on_book_update(e, in);
        }
        if (in->type == MSG_MBO_UPDATE) {
            return on_mbo_update(e, in);
        }
        if (in->type == MSG_TRADE) {
            on_trade(e, in->body);
        } else if (in->type == MSG_TOP) {
            on_top(e, in->body);
        } else {
            feed(e, in->body);
        }
        return ERR_OK;
    }
    case MSG_EXEC_REPORT: on_exec_report(e, in->body); return ERR_OK;
    case MSG_ORDER_REQUEST: act_request(e, in->body); return ERR_OK;
    case MSG_ORDER_TERMS_REQUEST: held_input(e, in->body); return ERR_OK;
    case MSG_MASS_CANCEL: return act_mass_cancel(e, in->body);
    case MSG_VENUE_DEF: return act_venue_def(e, in->body);
    case MSG_TICK: on_tick(e); return ERR_OK;
    case MSG_CONTROL: return engine_control(e, in->body);
    case MSG_BOOT: return recover_boot(e, in->body);
    case MSG_ACCOUNT_DEF: return recover_account(e, in->body);
    case MSG_LIMIT_SET: return recover_limits(e, in->body);
    case MSG_LIMIT_CHANGE: return limit_input(e, in->body);
    case MSG_OPERATE: return operate_input(e, in->body);
    case MSG_VENUE_BUDGET: return limit_budget(e, in->body);
    case MSG_FX_RATE: return money_rate(e, in->body);
    case MSG_CASH_MOVE: return money_move(e, in->body);
    case MSG_MISC_FEE: return money_misc_fee(e, in->body);
    case MSG_FEE_SCHEDULE: return money_schedule(e, in->body);
    case MSG_MASS_STATUS: return recover_mass_status(e, in->body);
    case MSG_LANE: return lane_input(e, in->body);
    default: return err_set(ERR_ARG, "engine: %s is no input", msg_type_str(in->type));
    }
}

#ifdef DCHECK
/* Slow, so only in sanitizer builds: equity by the ledger equals equity by the positions, to the unit, and the gate
 * counts the same position as the portfolio. After every input, of at most CHECK_MAX accounts and as many instruments of
 * each, in turn. */
#define CHECK_MAX 16u
static void check_position(const engine_t *e, uint32_t account, uint32_t id)
{
    position_t      position;
    risk_exposure_t exposure;
    if (!(e->accounts[account].unreconciled & UNRECONCILED_UNBOOKED) &&
        portfolio_position(e->portfolio, account, id, &position)) {
        assert(risk_exposure(e->risk, account, id, &exposure));
        assert(exposure.pos == position.qty);
    }
}

static void check_money(const engine_t *e)
{
    const uint32_t accounts = e->s->account_count, instruments = e->s->instrument_count;
    for (uint32_t n = 0; n < min_u32(accounts, CHECK_MAX); n++) {
        const uint32_t account = (uint32_t)((e->s->seq * CHECK_MAX + n) % accounts) + 1;
        int64_t        cash_side, pnl_side;
        for (uint32_t k = 0; portfolio_equity_cash_side(e->portfolio, account, k, &cash_side); k++) {
            assert(portfolio_equity_pnl_side(e->portfolio, account, k, &pnl_side));
            assert(cash_side == pnl_side);
        }
        assert(portfolio_equity_cash_side(e->portfolio, account, PORTFOLIO_HOME, &cash_side) &&
               portfolio_equity_pnl_side(e->portfolio, account, PORTFOLIO_HOME, &pnl_side) && cash_side == pnl_side);
        for (uint32_t i = 0; i < min_u32(instruments, CHECK_MAX); i++) {
            check_position(e, account, (uint32_t)((e->s->seq * CHECK_MAX + i) % instruments) + 1);
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
    if (of_market(in->type)) {
        fetch(e, in);
    }
    e->out           = out;
    e->now           = now;
    e->cause_utc_ns  = 0;
    e->input_actions = 0;
    e->s->seq++;
    money_day(e);
    if (e->s->due_left) {
        due_books(e);
    }
    const err_t err = dispatch(e, in);
    held_step(e);
    limit_news(e);
    if (cancel_due(e)) {
        act_sweep(e);
    }
    if (e->s->queries_due) {
        recover_ask(e);
    }
#ifdef DCHECK
    check_money(e);
#endif
    return err;
}
