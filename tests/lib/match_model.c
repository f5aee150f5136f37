#include "tests/lib/match_model.h"

#include <string.h>

#include "tests/lib/seeded.h"

static int64_t left(const model_order_t *x)
{
    return x->o.qty - x->cum_qty;
}
static bool buys(const model_order_t *x)
{
    return x->o.side == SIDE_BUY;
}
static bool reduces(const model_order_t *x)
{
    return x->o.exec_inst & EXEC_INST_REDUCE_ONLY;
}
static bool trails(const model_order_t *x)
{
    return x->o.ord_type == ORD_TYPE_TRAILING_STOP || x->o.ord_type == ORD_TYPE_TRAILING_STOP_LIMIT;
}
static bool waits_type(unsigned t)
{
    return t == ORD_TYPE_STOP || t == ORD_TYPE_STOP_LIMIT || t == ORD_TYPE_TRAILING_STOP ||
           t == ORD_TYPE_TRAILING_STOP_LIMIT;
}
static bool priced_type(unsigned t)
{
    return t == ORD_TYPE_LIMIT || t == ORD_TYPE_STOP_LIMIT || t == ORD_TYPE_TRAILING_STOP_LIMIT;
}

static model_order_t *find(model_market_t *m, uint64_t id)
{
    for (uint32_t i = 0; i < m->now.count; i++) {
        if (m->now.orders[i].o.id == id) {
            return &m->now.orders[i];
        }
    }
    return NULL;
}

static void forget(model_market_t *m, uint64_t id)
{
    model_order_t *x = find(m, id);
    *x               = m->now.orders[--m->now.count];
}

/* ---- outputs ---------------------------------------------------------------------------------------------------- */

static matcher_report_t *say(model_market_t *m, const model_order_t *x, matcher_exec_t exec)
{
    MUST(m->now.report_count < MODEL_OUT);
    matcher_report_t *r = &m->reports[m->now.report_count++];
    memset(r, 0, sizeof *r);
    r->id         = x->o.id;
    r->px         = x->o.px;
    r->stop_px    = x->o.stop_px;
    r->order_qty  = x->o.qty;
    r->cum_qty    = x->cum_qty;
    r->leaves_qty = left(x);
    r->ts_ns      = m->ts_ns;
    r->owner      = x->o.owner;
    r->exec       = (uint8_t)exec;
    r->side       = x->o.side;
    r->ord_type   = x->o.ord_type;
    r->tif        = x->o.tif;
    return r;
}

static void feed(model_market_t *m, const model_order_t *x, mbo_action_t action, int64_t qty)
{
    MUST(m->now.entry_count < MODEL_OUT);
    mbo_entry_t *e = &m->entries[m->now.entry_count++];
    memset(e, 0, sizeof *e);
    e->order_id = x->o.id;
    e->px       = x->o.px;
    e->qty      = qty;
    e->action   = (uint8_t)action;
    e->side     = x->o.side;
}

static void say_end(model_market_t *m, const model_order_t *x, matcher_exec_t exec, matcher_reason_t reason, int code)
{
    matcher_report_t *r = say(m, x, exec);
    r->last_qty         = left(x);
    r->leaves_qty       = 0;
    r->reason           = (uint8_t)reason;
    r->code             = (uint16_t)code;
}

/* An open order ends: feed, report, gone. */
static void end(model_market_t *m, uint64_t id, matcher_exec_t exec, matcher_reason_t reason, int code)
{
    const model_order_t *x = find(m, id);
    if (x->stand == MATCHER_RESTING) {
        feed(m, x, MBO_CANCEL, x->visible_qty);
    }
    say_end(m, x, exec, reason, code);
    forget(m, id);
}

static void say_cut(model_market_t *m, model_order_t *x, int64_t qty, matcher_reason_t reason)
{
    x->o.qty -= qty;
    matcher_report_t *r = say(m, x, MATCHER_RESTATED);
    r->last_qty         = qty;
    r->reason           = (uint8_t)reason;
}

/* qty less of a resting order, hidden first. Returns how much of it was visible. */
static int64_t hide(model_order_t *x, int64_t qty)
{
    const int64_t hidden = left(x) - x->visible_qty;
    const int64_t shown  = qty > hidden ? qty - hidden : 0;
    x->visible_qty -= shown;
    return shown;
}

/* ---- positions -------------------------------------------------------------------------------------------------- */

static int64_t could_close(const model_market_t *m, const model_order_t *x)
{
    const int64_t p = m->now.position[x->o.owner];
    return buys(x) ? (p < 0 ? -p : 0) : (p > 0 ? p : 0);
}

static int64_t resting_qty(const model_market_t *m, uint32_t owner, unsigned side)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < m->now.count; i++) {
        const model_order_t *x = &m->now.orders[i];
        sum += x->stand == MATCHER_RESTING && x->o.owner == owner && x->o.side == side ? left(x) : 0;
    }
    return sum;
}

static int64_t allowed(const model_market_t *m, const model_order_t *x, int64_t qty)
{
    if (!reduces(x)) {
        return qty;
    }
    const int64_t most = could_close(m, x) / m->ins->def.lot * m->ins->def.lot;
    return qty < most ? qty : most;
}

static void cut_reducers(model_market_t *m, uint32_t owner)
{
    for (unsigned side = SIDE_BUY; owner != 0 && side <= SIDE_SELL; side++) {
        for (;;) {
            model_order_t *newest = NULL;
            for (uint32_t i = 0; i < m->now.count; i++) {
                model_order_t *x = &m->now.orders[i];
                if (x->stand == MATCHER_RESTING && x->o.owner == owner && x->o.side == side && reduces(x) &&
                    (newest == NULL || x->arrive > newest->arrive)) {
                    newest = x;
                }
            }
            const int64_t over = newest == NULL ? 0 : resting_qty(m, owner, side) - could_close(m, newest);
            if (over <= 0) {
                break;
            }
            const int64_t lot  = m->ins->def.lot;
            const int64_t keep = over >= left(newest) ? 0 : (left(newest) - over) / lot * lot;
            if (keep == 0) {
                end(m, newest->o.id, MATCHER_CANCELED, MATCHER_REASON_REDUCE_ONLY, 0);
                continue;
            }
            const int64_t cut   = left(newest) - keep;
            const int64_t shown = hide(newest, cut);
            if (shown > 0) {
                feed(m, newest, MBO_CANCEL, shown);
            }
            say_cut(m, newest, cut, MATCHER_REASON_REDUCE_ONLY);
        }
    }
}

static void move_position(model_market_t *m, const model_order_t *x, int64_t qty)
{
    int64_t      *p   = &m->now.position[x->o.owner];
    const int64_t was = *p;
    if (x->o.owner == 0) {
        return;
    }
    *p += buys(x) ? qty : -qty;
    if (reduces(x)) {
        MUST(was > 0 ? *p >= 0 && *p <= was : *p <= 0 && *p >= was);
    }
}

/* ---- stops ------------------------------------------------------------------------------------------------------ */

static void trigger(model_market_t *m, model_order_t *x)
{
    x->stand  = MATCHER_QUEUED;
    x->queued = ++m->now.clock;
}

static bool through(const model_order_t *x, int64_t px)
{
    return buys(x) ? px >= x->o.stop_px : px <= x->o.stop_px;
}

static void look(model_market_t *m, int64_t px)
{
    m->now.last_px  = px;
    m->now.has_last = true;
    for (unsigned side = SIDE_BUY; side <= SIDE_SELL; side++) {
        for (;;) {
            model_order_t *first = NULL;
            for (uint32_t i = 0; i < m->now.count; i++) {
                model_order_t *x = &m->now.orders[i];
                if (x->stand != MATCHER_WAITING || x->o.side != side || !through(x, px)) {
                    continue;
                }
                const int64_t ahead  = first == NULL ? 0 : x->o.stop_px - first->o.stop_px;
                const bool    before = side == SIDE_BUY ? ahead < 0 : ahead > 0;
                if (first == NULL || before || (ahead == 0 && x->arrive < first->arrive)) {
                    first = x;
                }
            }
            if (first == NULL) {
                break;
            }
            trigger(m, first);
        }
    }
    for (uint32_t i = 0; i < m->now.count; i++) {
        model_order_t *x = &m->now.orders[i];
        if (x->stand == MATCHER_WAITING && trails(x)) {
            const int64_t at = buys(x) ? px + x->o.trail : px - x->o.trail;
            if (buys(x) ? at < x->o.stop_px : at > x->o.stop_px) {
                x->o.stop_px = at;
            }
        }
    }
}

/* ---- matching --------------------------------------------------------------------------------------------------- */

/* The resting order of a side that is next to trade. */
static model_order_t *best(model_market_t *m, unsigned side)
{
    model_order_t *b = NULL;
    for (uint32_t i = 0; i < m->now.count; i++) {
        model_order_t *x = &m->now.orders[i];
        if (x->stand != MATCHER_RESTING || x->o.side != side) {
            continue;
        }
        const bool better = b != NULL && (side == SIDE_BUY ? x->o.px > b->o.px : x->o.px < b->o.px);
        if (b == NULL || better || (x->o.px == b->o.px && x->place < b->place)) {
            b = x;
        }
    }
    return b;
}

static model_order_t *meets(model_market_t *m, const model_order_t *x)
{
    model_order_t *b      = best(m, buys(x) ? SIDE_SELL : SIDE_BUY);
    const bool     priced = priced_type(x->o.ord_type) || x->o.px != 0;
    const bool     far    = b != NULL && priced && (buys(x) ? b->o.px > x->o.px : b->o.px < x->o.px);
    return far ? NULL : b;
}

static void trade(model_market_t *m, model_order_t *taker, model_order_t *maker, int64_t qty)
{
    m->now.match_id++;
    maker->cum_qty += qty;
    move_position(m, maker, qty);
    matcher_report_t *r = say(m, maker, MATCHER_TRADE);
    r->liquidity        = LIQUIDITY_MAKER;
    taker->cum_qty += qty;
    move_position(m, taker, qty);
    matcher_report_t *s = say(m, taker, MATCHER_TRADE);
    s->liquidity        = LIQUIDITY_TAKER;
    r->match_id = s->match_id = m->now.match_id;
    r->last_px = s->last_px = maker->o.px;
    r->last_qty = s->last_qty = qty;
    maker->visible_qty -= qty;
    feed(m, maker, MBO_FILL, qty);
    MUST(m->now.trade_count < MODEL_OUT);
    trade_t *t = &m->trades[m->now.trade_count++];
    memset(t, 0, sizeof *t);
    t->instrument_id  = m->ins->def.instrument_id;
    t->aggressor_side = taker->o.side;
    t->trade_id       = m->now.match_id;
    t->px             = maker->o.px;
    t->qty            = qty;
    t->ts_event_ns    = m->ts_ns;
    look(m, maker->o.px);
    m->now.meetings++;
    if (left(maker) == 0) {
        forget(m, maker->o.id);
    } else if (maker->visible_qty == 0) {
        maker->visible_qty = maker->o.display_qty < left(maker) ? maker->o.display_qty : left(maker);
        maker->place       = ++m->now.clock;
        m->now.meetings++;
        feed(m, maker, MBO_ADD, maker->visible_qty);
    }
}

/* Takes what it can. stopped: self-trade prevention ended it; ended: its end was reported; decremented: at least once. */
typedef struct walk {
    bool stopped, ended, decremented;
} walk_t;

static walk_t take(model_market_t *m, model_order_t *x)
{
    walk_t w = {0};
    for (model_order_t *b; left(x) > 0 && (b = meets(m, x)) != NULL;) {
        const bool own = x->o.owner != 0 && x->o.owner == b->o.owner;
        if (!own || x->o.stp == STP_NONE) {
            trade(m, x, b, left(x) < b->visible_qty ? left(x) : b->visible_qty);
            continue;
        }
        if (x->o.stp == STP_DECREMENT) {
            const int64_t qty   = left(x) < left(b) ? left(x) : left(b);
            const int64_t shown = hide(b, qty);
            w.decremented       = true;
            m->now.meetings++;
            if (shown > 0) {
                feed(m, b, MBO_CANCEL, shown);
            }
            if (qty == left(b)) {
                say_end(m, b, MATCHER_CANCELED, MATCHER_REASON_STP, 0);
                forget(m, b->o.id);
            } else {
                say_cut(m, b, qty, MATCHER_REASON_STP);
            }
            if (qty == left(x)) {
                say_end(m, x, MATCHER_CANCELED, MATCHER_REASON_STP, 0);
                w.ended = true;
                return w;
            }
            say_cut(m, x, qty, MATCHER_REASON_STP);
            continue;
        }
        if (x->o.stp != STP_CANCEL_NEWEST) {
            end(m, b->o.id, MATCHER_CANCELED, MATCHER_REASON_STP, 0);
            m->now.meetings++;
        }
        if (x->o.stp != STP_CANCEL_OLDEST) {
            w.stopped = true;
            return w;
        }
    }
    return w;
}

/* x, which is nowhere in the array, meets the book; begin is the report before everything else, cut what it lost at the
 * door. 0, or the code it is refused with; then nothing changed. */
static int meet(model_market_t *m, model_order_t *x, matcher_exec_t begin, int64_t cut)
{
    static model_state_t before;
    const uint32_t       owner = x->o.owner;
    const model_order_t  came  = *x;
    walk_t               w     = {0};
    before                     = m->now;
    if ((x->o.exec_inst & EXEC_INST_POST_ONLY) && meets(m, x) != NULL) {
        return VENUE_REJECT_POST_ONLY;
    }
    for (int killed = 0; killed < 2; killed++) {
        m->now          = before;
        *x              = came;
        m->now.meetings = 0;
        say(m, x, begin);
        if (cut > 0) {
            say_cut(m, x, cut, MATCHER_REASON_REDUCE_ONLY);
        }
        w = killed ? (walk_t){0} : take(m, x);
        if (x->o.tif != TIF_FOK || (left(x) == 0 && !w.stopped && !w.decremented)) {
            break;
        }
    }
    if (m->now.meetings > m->cfg.fills_max) {
        m->now = before;
        *x     = came;
        return VENUE_REJECT_FILLS;
    }
    const bool rests = priced_type(x->o.ord_type) && x->o.tif != TIF_IOC && x->o.tif != TIF_FOK;
    if (left(x) > 0 && !w.ended) {
        if (rests && !w.stopped) {
            x->stand       = MATCHER_RESTING;
            x->place       = ++m->now.clock;
            x->visible_qty = x->o.display_qty > 0 && x->o.display_qty < left(x) ? x->o.display_qty : left(x);
            feed(m, x, MBO_ADD, x->visible_qty);
            m->now.orders[m->now.count++] = *x;
        } else {
            say_end(m, x, MATCHER_CANCELED,
                    w.stopped             ? MATCHER_REASON_STP
                    : x->o.tif == TIF_FOK ? MATCHER_REASON_FOK
                                          : MATCHER_REASON_IMMEDIATE,
                    0);
        }
    }
    cut_reducers(m, owner);
    return 0;
}

static bool fits(const model_market_t *m, const model_order_t *x, int64_t qty)
{
    const int64_t p = m->now.position[x->o.owner];
    return x->o.owner == 0 ||
           (i128_t)(buys(x) ? p : -p) + resting_qty(m, x->o.owner, x->o.side) + qty <= MATCHER_POS_MAX;
}

static int limit_code(const model_market_t *m, int64_t px, int64_t qty);

/* A new order, or a triggered one. */
static void come(model_market_t *m, model_order_t *x, matcher_exec_t begin, int code)
{
    const int64_t qty = allowed(m, x, left(x));
    if (code == 0 && qty == 0) {
        code = VENUE_REJECT_REDUCE_ONLY;
    }
    if (code == 0 && !fits(m, x, qty)) {
        code = VENUE_REJECT_LIMIT;
    }
    if (code == 0) {
        code = meet(m, x, begin, left(x) - qty);
    }
    if (code == 0) {
        return;
    }
    if (begin == MATCHER_NEW) {
        matcher_report_t *r = say(m, x, MATCHER_REJECTED);
        r->leaves_qty       = 0;
        r->code             = (uint16_t)code;
        return;
    }
    say(m, x, begin);
    const bool flat = code == VENUE_REJECT_REDUCE_ONLY;
    say_end(m, x, MATCHER_CANCELED, flat ? MATCHER_REASON_REDUCE_ONLY : MATCHER_REASON_REFUSED, flat ? 0 : code);
}

static void work_off(model_market_t *m)
{
    for (uint32_t waves = 1; m->now.phase == MATCHER_OPEN; waves++) {
        model_order_t *first = NULL;
        for (uint32_t i = 0; i < m->now.count; i++) {
            model_order_t *x = &m->now.orders[i];
            if (x->stand == MATCHER_QUEUED && (first == NULL || x->queued < first->queued)) {
                first = x;
            }
        }
        if (first == NULL) {
            return;
        }
        model_order_t x    = *first;
        int           code = 0;
        forget(m, x.o.id);
        x.stand      = 0;
        x.arrive     = ++m->now.clock;
        m->waves_max = waves > m->waves_max ? waves : m->waves_max;
        if (x.o.ord_type == ORD_TYPE_TRAILING_STOP_LIMIT) {
            const i128_t px = (i128_t)x.o.stop_px + (buys(&x) ? x.o.px : -x.o.px);
            if (px <= -CLOB_PX_MAX || px >= CLOB_PX_MAX) {
                code = VENUE_REJECT_PX_BAND;
            } else {
                x.o.px =
                    buys(&x) ? instrument_round_down(m->ins, (int64_t)px) : instrument_round_up(m->ins, (int64_t)px);
                code = limit_code(m, x.o.px, x.o.qty);
            }
        }
        come(m, &x, MATCHER_TRIGGERED, code);
    }
}

/* ---- the door --------------------------------------------------------------------------------------------------- */

static bool px_possible(int64_t px)
{
    return px > -(1LL << 62) && px < 1LL << 62;
}

static int px_code(const model_market_t *m, int64_t px)
{
    const instrument_def_t *d = &m->ins->def;
    if (!px_possible(px) || (!d->allow_negative && px <= 0)) {
        return VENUE_REJECT_PX_BAND;
    }
    if ((d->band_lower || d->band_upper) && (px < d->band_lower || px > d->band_upper)) {
        return VENUE_REJECT_PX_BAND;
    }
    return instrument_on_tick(m->ins, px) ? 0 : VENUE_REJECT_PX_TICK;
}

static int notional_code(const model_market_t *m, int64_t px, int64_t qty)
{
    int64_t n;
    return instrument_notional(m->ins, px, qty, &n) && n >= m->ins->def.min_notional ? 0 : VENUE_REJECT_NOTIONAL;
}

static int limit_code(const model_market_t *m, int64_t px, int64_t qty)
{
    const int code = px_code(m, px);
    return code ? code : notional_code(m, px, qty);
}

static int qty_code(const model_market_t *m, int64_t qty)
{
    const instrument_def_t *d = &m->ins->def;
    return qty < 1 || qty < d->min_qty || qty % d->lot || qty > CLOB_QTY_MAX ? VENUE_REJECT_QTY : 0;
}

/* The price of a new order, or of one that is replaced while it waits (waits) or rests. */
static int price_code(const model_market_t *m, const matcher_order_t *o, bool waits)
{
    if (o->ord_type == ORD_TYPE_TRAILING_STOP_LIMIT && waits) {
        return o->px < 0 || !px_possible(o->px) ? VENUE_REJECT_PX_BAND : 0;
    }
    if (priced_type(o->ord_type)) {
        return limit_code(m, o->px, o->qty);
    }
    if (o->px == 0) {
        return 0;
    }
    if (!px_possible(o->px) || (o->px < 0 && !m->ins->def.allow_negative)) {
        return VENUE_REJECT_PX_BAND;
    }
    return notional_code(m, o->px, o->qty);
}

static int stop_code(const model_market_t *m, const matcher_order_t *o)
{
    const bool trailing = o->ord_type == ORD_TYPE_TRAILING_STOP || o->ord_type == ORD_TYPE_TRAILING_STOP_LIMIT;
    if (trailing && (o->trail < 1 || !px_possible(o->trail))) {
        return VENUE_REJECT_PX_BAND;
    }
    if (trailing && o->stop_px == 0) {
        return m->now.has_last ? 0 : VENUE_REJECT_NO_LAST;
    }
    return px_code(m, o->stop_px);
}

static bool terms_known(const matcher_order_t *o)
{
    const bool limit = priced_type(o->ord_type);
    const bool stop  = waits_type(o->ord_type);
    const bool trail = o->ord_type == ORD_TYPE_TRAILING_STOP || o->ord_type == ORD_TYPE_TRAILING_STOP_LIMIT;
    const bool now   = o->tif == TIF_IOC || o->tif == TIF_FOK;
    if (o->side != SIDE_BUY && o->side != SIDE_SELL) {
        return false;
    }
    if (!limit && !stop && o->ord_type != ORD_TYPE_MARKET) {
        return false;
    }
    if (!now && o->tif != TIF_DAY && o->tif != TIF_GTC && o->tif != TIF_GTD) {
        return false;
    }
    if (o->exec_inst > 3 || o->stp > STP_DECREMENT) {
        return false;
    }
    if ((o->exec_inst & EXEC_INST_POST_ONLY || o->display_qty) && (now || !limit)) {
        return false;
    }
    return !(o->stop_px && !stop) && !(o->trail && !trail) && !(o->expire_ns && o->tif != TIF_GTD) &&
           !(o->px && (o->ord_type == ORD_TYPE_STOP || o->ord_type == ORD_TYPE_TRAILING_STOP));
}

static int new_code(model_market_t *m, const matcher_order_t *o)
{
    uint32_t reducers = 0;
    int      code     = 0;
    for (uint32_t i = 0; i < m->now.count; i++) {
        reducers += m->now.orders[i].o.owner == o->owner && reduces(&m->now.orders[i]);
    }
    if (m->now.phase != MATCHER_OPEN) {
        return VENUE_REJECT_CLOSED;
    }
    if (!terms_known(o)) {
        return VENUE_REJECT_UNSUPPORTED;
    }
    if (o->id == 0 || find(m, o->id) != NULL) {
        return VENUE_REJECT_DUPLICATE;
    }
    if (qty_code(m, o->qty) || o->display_qty < 0 || o->display_qty % m->ins->def.lot) {
        return VENUE_REJECT_QTY;
    }
    if (o->tif == TIF_GTD && (o->expire_ns <= m->ts_ns || o->expire_ns == INT64_MAX)) {
        return VENUE_REJECT_TOO_LATE;
    }
    if ((code = price_code(m, o, true)) != 0) {
        return code;
    }
    if (waits_type(o->ord_type) && (code = stop_code(m, o)) != 0) {
        return code;
    }
    const bool reduce = o->exec_inst & EXEC_INST_REDUCE_ONLY;
    if (o->owner > m->cfg.owners_max || (reduce && o->owner == 0)) {
        return VENUE_REJECT_ACCOUNT;
    }
    if ((reduce && reducers >= MATCHER_REDUCE_ONLY_MAX) || m->now.count >= m->cfg.orders_max) {
        return VENUE_REJECT_OVERLOAD;
    }
    return 0;
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

void model_market_init(model_market_t *m, const matcher_cfg_t *cfg, const instrument_t *ins)
{
    memset(m, 0, sizeof *m);
    m->cfg       = *cfg;
    m->ins       = ins;
    m->now.phase = MATCHER_OPEN;
    MUST(cfg->orders_max <= MODEL_ORDERS && cfg->owners_max < MODEL_OWNERS);
}

void model_market_reset(model_market_t *m)
{
    m->now.report_count = m->now.entry_count = m->now.trade_count = 0;
}

/* A stop takes its stand: it begins at its stop price or at the trail's distance from the last, whichever is nearer. */
static void stand(model_market_t *m, model_order_t *x, bool fresh)
{
    x->stand = MATCHER_WAITING;
    if (trails(x) && m->now.has_last) {
        const int64_t at = buys(x) ? m->now.last_px + x->o.trail : m->now.last_px - x->o.trail;
        if (fresh || (buys(x) ? at < x->o.stop_px : at > x->o.stop_px)) {
            x->o.stop_px = at;
        }
    }
    if (m->now.has_last && through(x, m->now.last_px)) {
        trigger(m, x);
    }
}

void model_market_submit(model_market_t *m, const matcher_order_t *order, int64_t ts_ns)
{
    model_order_t x = {.o = *order};
    m->ts_ns        = ts_ns;
    const int code  = new_code(m, order);
    if (code != 0) {
        matcher_report_t *r = say(m, &x, MATCHER_REJECTED);
        r->leaves_qty       = 0;
        r->code             = (uint16_t)code;
        return;
    }
    x.arrive = ++m->now.clock;
    if (waits_type(order->ord_type)) {
        stand(m, &x, order->stop_px == 0);
        m->now.orders[m->now.count++] = x;
        say(m, &x, MATCHER_NEW);
    } else {
        come(m, &x, MATCHER_NEW, 0);
    }
    work_off(m);
}

static int replace(model_market_t *m, const matcher_change_t *c)
{
    model_order_t *at = find(m, c->id);
    if (at == NULL) {
        return VENUE_REJECT_UNKNOWN_ORDER;
    }
    const bool    waits = at->stand != MATCHER_RESTING;
    const bool    keeps = waits && trails(at) && c->stop_px == 0 && c->trail == at->o.trail;
    model_order_t x     = *at;
    int           code  = 0;
    x.o.px              = c->px;
    x.o.qty             = c->qty;
    if (waits && !keeps) {
        x.o.stop_px = c->stop_px;
        x.o.trail   = c->trail;
    }
    const int64_t qty = waits ? left(&x) : allowed(m, &x, left(&x));
    const bool    place =
        x.o.px == at->o.px && qty <= left(at) && x.o.stop_px == at->o.stop_px && x.o.trail == at->o.trail;
    if (m->now.phase == MATCHER_HALTED || m->now.phase == MATCHER_CLOSED ||
        (m->now.phase == MATCHER_CANCEL_ONLY && !place)) {
        return VENUE_REJECT_CLOSED;
    }
    if (qty_code(m, c->qty) || c->qty <= at->cum_qty) {
        return VENUE_REJECT_QTY;
    }
    if (waits && ((!trails(at) && c->trail) || (!priced_type(at->o.ord_type) && c->px))) {
        return VENUE_REJECT_UNSUPPORTED;
    }
    if ((code = price_code(m, &x.o, waits)) != 0) {
        return code;
    }
    if (waits && !keeps && (code = stop_code(m, &x.o)) != 0) {
        return code;
    }
    if (place) {
        const int64_t shown = waits ? 0 : hide(at, left(at) - qty);
        at->o.qty           = c->qty;
        if (shown > 0) {
            feed(m, at, MBO_MODIFY, at->visible_qty);
        }
        say(m, at, MATCHER_REPLACED);
        if (left(at) > qty) {
            say_cut(m, at, left(at) - qty, MATCHER_REASON_REDUCE_ONLY);
        }
        return 0;
    }
    if (waits) {
        x.arrive = ++m->now.clock;
        stand(m, &x, c->stop_px == 0 && !keeps);
        *at = x;
        say(m, &x, MATCHER_REPLACED);
        return 0;
    }
    /* out of the book and in again, as a new order would come; back where it was when it is refused */
    static model_state_t before;
    if (!fits(m, &x, qty - left(at))) {
        return VENUE_REJECT_LIMIT;
    }
    before = m->now;
    feed(m, at, MBO_CANCEL, at->visible_qty);
    x.arrive = ++m->now.clock;
    x.stand  = 0;
    forget(m, c->id);
    code = meet(m, &x, MATCHER_REPLACED, left(&x) - qty);
    if (code != 0) {
        m->now = before;
    }
    return code;
}

static void refuse(model_market_t *m, uint64_t id, matcher_exec_t exec, int code)
{
    const model_order_t  none                 = {.o = {.id = id}};
    const model_order_t *x                    = find(m, id);
    say(m, x == NULL ? &none : x, exec)->code = (uint16_t)code;
}

void model_market_replace(model_market_t *m, const matcher_change_t *change, int64_t ts_ns)
{
    m->ts_ns       = ts_ns;
    const int code = replace(m, change);
    if (code != 0) {
        refuse(m, change->id, MATCHER_REPLACE_REJECT, code);
    }
    work_off(m);
}

void model_market_cancel(model_market_t *m, uint64_t id, int64_t ts_ns)
{
    m->ts_ns = ts_ns;
    if (find(m, id) == NULL) {
        refuse(m, id, MATCHER_CANCEL_REJECT, VENUE_REJECT_UNKNOWN_ORDER);
    } else if (m->now.phase == MATCHER_CLOSED) {
        refuse(m, id, MATCHER_CANCEL_REJECT, VENUE_REJECT_CLOSED);
    } else {
        end(m, id, MATCHER_CANCELED, MATCHER_REASON_REQUEST, 0);
    }
}

void model_market_cancel_owner(model_market_t *m, uint32_t owner, int64_t ts_ns)
{
    m->ts_ns = ts_ns;
    for (;;) {
        const model_order_t *oldest = NULL;
        for (uint32_t i = 0; i < m->now.count; i++) {
            const model_order_t *x = &m->now.orders[i];
            if (x->o.owner == owner && (oldest == NULL || x->arrive < oldest->arrive)) {
                oldest = x;
            }
        }
        if (oldest == NULL) {
            return;
        }
        end(m, oldest->o.id, MATCHER_CANCELED, MATCHER_REASON_MASS, 0);
    }
}

static void expire_all(model_market_t *m, uint8_t tif, int64_t ts_ns)
{
    for (;;) {
        const model_order_t *next = NULL;
        for (uint32_t i = 0; i < m->now.count; i++) {
            const model_order_t *x = &m->now.orders[i];
            if (x->o.tif != tif || x->o.expire_ns > ts_ns) {
                continue;
            }
            if (next == NULL || x->o.expire_ns < next->o.expire_ns ||
                (x->o.expire_ns == next->o.expire_ns && x->arrive < next->arrive)) {
                next = x;
            }
        }
        if (next == NULL) {
            return;
        }
        end(m, next->o.id, MATCHER_EXPIRED, tif == TIF_DAY ? MATCHER_REASON_DAY : MATCHER_REASON_GTD, 0);
    }
}

void model_market_expire(model_market_t *m, int64_t ts_ns)
{
    m->ts_ns = ts_ns;
    expire_all(m, TIF_GTD, ts_ns);
}

void model_market_enter(model_market_t *m, matcher_phase_t phase, int64_t ts_ns)
{
    m->ts_ns     = ts_ns;
    m->now.phase = phase;
    if (phase == MATCHER_CLOSED) {
        expire_all(m, TIF_DAY, 0);
    }
    work_off(m);
}

void model_market_print(model_market_t *m, int64_t px, int64_t ts_ns)
{
    m->ts_ns = ts_ns;
    look(m, px);
    work_off(m);
}

void model_market_set_position(model_market_t *m, uint32_t owner, int64_t qty, int64_t ts_ns)
{
    m->ts_ns               = ts_ns;
    m->now.position[owner] = qty;
    cut_reducers(m, owner);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

int64_t model_market_due_ns(const model_market_t *m)
{
    int64_t due = INT64_MAX;
    for (uint32_t i = 0; i < m->now.count; i++) {
        const matcher_order_t *o = &m->now.orders[i].o;
        due                      = o->tif == TIF_GTD && o->expire_ns < due ? o->expire_ns : due;
    }
    return due;
}

uint32_t model_market_side(const model_market_t *m, side_t side, const model_order_t **out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->now.count; i++) {
        const model_order_t *x  = &m->now.orders[i];
        uint32_t             at = count;
        if (x->stand != MATCHER_RESTING || x->o.side != side) {
            continue;
        }
        for (; at > 0; at--) {
            const model_order_t *y      = out[at - 1];
            const bool           better = side == SIDE_BUY ? x->o.px > y->o.px : x->o.px < y->o.px;
            if (!better && !(x->o.px == y->o.px && x->place < y->place)) {
                break;
            }
            out[at] = y;
        }
        out[at] = x;
        count++;
    }
    return count;
}
