#include "tests/lib/risk_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/types/ids.h"

#define N RISK_MODEL_IDS
#define FULL 10000 /* 100 % in bp */

typedef struct pending {
    int64_t qty, px, px_value;
} pending_t;

typedef struct m_order {
    uint64_t  id;
    uint32_t  account, strategy, tenant, instrument;
    bool      buy, open, unknown, cancel_sent;
    uint16_t  exec_inst;
    int64_t   qty, px, px_value, filled, busted;
    uint32_t  replaces; /* without an answer; pendings count until the last one has one */
    uint32_t  pendings;
    pending_t pending[RISK_MODEL_PENDING];
} m_order_t;

typedef struct m_fill {
    uint64_t exec_id;
    uint64_t order;
    uint32_t account, strategy, instrument;
    int64_t  qty; /* signed */
    int64_t  px;
    i128_t   value; /* home money */
    int64_t  t, day;
    bool     busted;
    bool     counts; /* for 276 */
} m_fill_t;

typedef struct m_mark {
    uint32_t instrument;
    int64_t  t, px;
} m_mark_t;

typedef struct m_reject {
    uint32_t strategy;
    int64_t  t;
    bool     counts; /* for 279 */
} m_reject_t;

typedef struct m_said {
    uint64_t id, seq;
    uint16_t code;
} m_said_t;

typedef struct m_passed {
    int64_t     t;
    order_req_t req;
    int64_t     px, value, leaves, day;
    uint32_t    venue;
    bool        auction; /* a cancel in one does not count for 275 */
    bool        rate;    /* counts for 271 and 272: not what was released and counts since it was held */
    bool        sent;    /* counts for everything else: not what is held */
} m_passed_t;

typedef struct m_set {
    bool          known;
    risk_limits_t l;
} m_set_t;

typedef struct m_account {
    bool               exists, killed, reduce_only, recovering, unreconciled;
    risk_account_cfg_t cfg;
    uint16_t           latched;
    int64_t            stop_ns, stop_loss, peak, peak_day;
    int64_t            equity, cash_free, busted_day;
    i128_t             busted_value;  /* busts are traded value too, on the day that they come */
    uint64_t           venues_killed; /* bit 1 << venue */
    bool               row_killed[N];
    m_set_t            set;
} m_account_t;

typedef struct m_strategy {
    uint32_t tenant, approved;
    bool     killed, stopped; /* by CONTROL; by 276 or 279 */
    bool     row_killed[N];
    m_set_t  set;
} m_strategy_t;

typedef struct m_instrument {
    instrument_def_t def;
    int64_t          tick;
    risk_md_t        md;
    int64_t          mark_px, adv, pause_until;
    bool             killed, restricted;
    uint8_t          session;
    m_set_t          set;
} m_instrument_t;

typedef struct m_venue {
    bool           killed, link, ring_full;
    uint8_t        session;
    venue_budget_t budget;
    int64_t        budget_ns, budget_sent; /* when it was said or ran out; requests since */
    m_set_t        set;
} m_venue_t;

struct risk_model {
    risk_cfg_t         cfg;
    risk_model_fault_t fault;
    bool               killed, journal, clock, tenant_killed[N];
    m_account_t        account[N];
    m_strategy_t       strategy[N];
    m_instrument_t     instrument[N];
    m_venue_t          venue[N];
    m_set_t            row[N][N], strategy_row[N][N], tenant_row[N][N]; /* by instrument */
    m_set_t            tenant[N], firm;
    now_t              now;
    int64_t            rate, rate_exp, rate_ns; /* of the one other currency to that of the accounts; 0 = none yet */
    bool               denied[N][N];
    uint64_t           seen[CL_ORD_ID_ORIGINS];
    m_order_t         *orders;
    m_fill_t          *fills;
    m_passed_t        *passed;
    m_mark_t          *marks;
    m_reject_t        *rejects;
    m_said_t          *saids;
    size_t             order_count, fill_count, passed_count, mark_count, reject_count, said_count;
    size_t             order_room, fill_room, passed_room, mark_room, reject_room, said_room;
};

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "risk_model: %s\n", what);
        abort();
    }
}

static void *grow(void *list, size_t count, size_t *room, size_t size)
{
    if (count < *room) {
        return list;
    }
    *room = *room ? *room * 2 : 64;
    list  = realloc(list, *room * size);
    must(list != NULL, "memory");
    return list;
}

risk_model_t *risk_model_new(const risk_cfg_t *cfg, risk_model_fault_t fault)
{
    risk_model_t *m = calloc(1, sizeof *m);
    must(m != NULL, "memory");
    m->cfg   = *cfg;
    m->fault = fault;
    return m;
}

void risk_model_free(risk_model_t *m)
{
    free(m->orders);
    free(m->fills);
    free(m->passed);
    free(m->marks);
    free(m->rejects);
    free(m->saids);
    free(m);
}

void risk_model_instrument(risk_model_t *m, const instrument_def_t *def, int64_t tick)
{
    m->instrument[def->instrument_id].def  = *def;
    m->instrument[def->instrument_id].tick = tick;
}

void risk_model_account(risk_model_t *m, uint32_t id, const risk_account_cfg_t *cfg)
{
    m->account[id].exists = true;
    m->account[id].cfg    = *cfg;
}

void risk_model_strategy(risk_model_t *m, uint32_t id, uint32_t tenant, uint32_t approved)
{
    m->strategy[id].tenant   = tenant;
    m->strategy[id].approved = approved;
}

void risk_model_permit(risk_model_t *m, uint32_t account, uint32_t instrument, bool allowed)
{
    m->denied[account][instrument] = !allowed;
}

void risk_model_restrict(risk_model_t *m, uint32_t instrument, bool restricted)
{
    m->instrument[instrument].restricted = restricted;
}

static m_set_t *set_of(risk_model_t *m, scope_t scope, uint32_t id1, uint32_t id2)
{
    switch (scope) {
    case SCOPE_ACCOUNT: return &m->account[id1].set;
    case SCOPE_STRATEGY: return &m->strategy[id1].set;
    case SCOPE_INSTRUMENT: return &m->instrument[id1].set;
    case SCOPE_VENUE: return &m->venue[id1].set;
    case SCOPE_ACCOUNT_INSTRUMENT: return &m->row[id1][id2];
    case SCOPE_STRATEGY_INSTRUMENT: return &m->strategy_row[id1][id2];
    case SCOPE_TENANT_INSTRUMENT: return &m->tenant_row[id1][id2];
    case SCOPE_TENANT: return &m->tenant[id1];
    case SCOPE_GLOBAL: return &m->firm;
    default: must(false, "a scope without limits"); return NULL;
    }
}

void risk_model_limits(risk_model_t *m, scope_t scope, uint32_t id1, uint32_t id2, const risk_limits_t *limits)
{
    *set_of(m, scope, id1, id2) = (m_set_t){.known = true, .l = *limits};
}

static void model_kill(risk_model_t *m, const control_t *c)
{
    const bool     on     = c->value != 0;
    const int64_t  second = c->value < 0 ? -c->value : c->value; /* of a pair; negative clears */
    const uint64_t bit    = 1ULL << (second & 63);
    switch (c->scope_type) {
    case SCOPE_GLOBAL: m->killed = on; break;
    case SCOPE_TENANT: m->tenant_killed[c->scope_id] = on; break;
    case SCOPE_ACCOUNT: m->account[c->scope_id].killed = on; break;
    case SCOPE_STRATEGY: m->strategy[c->scope_id].killed = on; break;
    case SCOPE_INSTRUMENT: m->instrument[c->scope_id].killed = on; break;
    case SCOPE_VENUE: m->venue[c->scope_id].killed = on; break;
    case SCOPE_ACCOUNT_INSTRUMENT: m->account[c->scope_id].row_killed[second] = c->value > 0; break;
    case SCOPE_STRATEGY_INSTRUMENT: m->strategy[c->scope_id].row_killed[second] = c->value > 0; break;
    case SCOPE_ACCOUNT_VENUE:
        m->account[c->scope_id].venues_killed =
            c->value > 0 ? m->account[c->scope_id].venues_killed | bit : m->account[c->scope_id].venues_killed & ~bit;
        break;
    default: must(false, "a scope without a kill flag");
    }
}

/* A named person lets a strategy trade again: what it was stopped for is forgotten. */
static void model_enable(risk_model_t *m, uint32_t strategy)
{
    m->strategy[strategy].stopped = false;
    for (size_t i = 0; i < m->fill_count; i++) {
        m->fills[i].counts &= m->fills[i].strategy != strategy;
    }
    for (size_t i = 0; i < m->reject_count; i++) {
        m->rejects[i].counts &= m->rejects[i].strategy != strategy;
    }
}

void risk_model_volume(risk_model_t *m, uint32_t instrument, int64_t adv)
{
    m->instrument[instrument].adv = adv;
}

void risk_model_equity(risk_model_t *m, uint32_t account, int64_t equity, int64_t cash_free)
{
    m->account[account].equity    = equity;
    m->account[account].cash_free = cash_free;
}

void risk_model_rate(risk_model_t *m, int64_t rate, int8_t rate_exp, now_t now)
{
    m->rate     = rate;
    m->rate_exp = rate_exp;
    m->rate_ns  = now.mono_ns;
}

void risk_model_budget(risk_model_t *m, const venue_budget_t *budget, now_t now)
{
    m_venue_t *v   = &m->venue[budget->venue_id];
    v->budget      = *budget;
    v->budget_ns   = now.mono_ns;
    v->budget_sent = 0;
}

void risk_model_control(risk_model_t *m, const control_t *c)
{
    const bool on = c->value != 0;
    switch (c->kind) {
    case CONTROL_KILL: model_kill(m, c); break;
    case CONTROL_SESSION:
        *(c->scope_type == SCOPE_VENUE ? &m->venue[c->scope_id].session : &m->instrument[c->scope_id].session) =
            (uint8_t)c->value;
        break;
    case CONTROL_REDUCE_ONLY: m->account[c->scope_id].reduce_only = on; break;
    case CONTROL_RECOVERING: m->account[c->scope_id].recovering = on; break;
    case CONTROL_UNRECONCILED: m->account[c->scope_id].unreconciled = on; break;
    case CONTROL_VENUE_LINK: m->venue[c->scope_id].link = on; break;
    case CONTROL_RING_FULL: m->venue[c->scope_id].ring_full = on; break;
    case CONTROL_JOURNAL: m->journal = on; break;
    case CONTROL_CLOCK: m->clock = on; break;
    case CONTROL_CLEAR_LATCH: m->account[c->scope_id].latched = 0; break;
    case CONTROL_ENABLE: model_enable(m, c->scope_id); break;
    default: must(false, "a control that is not modelled");
    }
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static i128_t power(int n)
{
    i128_t p = 1;
    while (n-- > 0) {
        p *= 10;
    }
    return p;
}

static i128_t absolute(i128_t v)
{
    return v < 0 ? -v : v;
}

static i128_t ceiling(i128_t n, i128_t d)
{
    return n / d + (n > 0 && n % d != 0);
}

static i128_t floored(i128_t n, i128_t d)
{
    return n / d - (n < 0 && n % d != 0);
}

/* |value| of qty at px in money, rounded up. The figures of a test leave room in 128 bits. */
static i128_t worth(const instrument_def_t *def, i128_t px, i128_t qty)
{
    const bool   inverse = def->kind == INSTRUMENT_INVERSE;
    const int    shift   = def->money_exp - def->qty_exp - def->mult_exp + (inverse ? def->px_exp : -def->px_exp);
    const i128_t n       = absolute(inverse ? qty * def->mult : px * qty * def->mult) * power(shift > 0 ? shift : 0);
    const i128_t d       = (inverse ? px : 1) * power(shift < 0 ? -shift : 0);
    return ceiling(n, d);
}

/* What is not settled in the accounts' currency is converted at the newest rate, and rounded up: against us. */
static bool foreign(const risk_model_t *m, const m_instrument_t *ins)
{
    return ins->def.settle_ccy != m->account[1].cfg.ccy;
}

static i128_t home(const risk_model_t *m, const m_instrument_t *ins, i128_t value)
{
    if (!foreign(m, ins)) {
        return value;
    }
    const int64_t shift = ins->def.money_exp + m->rate_exp - m->account[1].cfg.money_exp;
    const i128_t  up = power(shift < 0 ? (int)-shift : 0), down = power(shift > 0 ? (int)shift : 0);
    const i128_t  product = value * m->rate * up;
    return m->fault == RISK_MODEL_RATE_DOWN ? product / down : ceiling(product, down);
}

static i128_t larger(i128_t a, i128_t b)
{
    return a > b ? a : b;
}

static i128_t smaller(i128_t a, i128_t b)
{
    return a < b ? a : b;
}

typedef struct reference {
    bool   known, book, last, close;
    i128_t twice; /* of the price */
} reference_t;

static reference_t reference_of(const m_instrument_t *ins, now_t now)
{
    const risk_md_t *md  = &ins->md;
    const int64_t    max = ins->set.l.max_md_age_ns;
    const bool       neg = ins->def.allow_negative;
    reference_t      ref = {.book = md->has_bid && md->has_ask && now.mono_ns - md->book_mono_ns <= max,
                            .last = md->has_last && now.mono_ns - md->last_mono_ns <= max};
    if (ref.book && md->bid_px < md->ask_px && (md->bid_px > 0 || neg)) {
        ref.known = true;
        ref.twice = (i128_t)md->bid_px + md->ask_px;
    } else if (ref.last && (md->last_px > 0 || neg)) {
        ref.known = true;
        ref.twice = (i128_t)md->last_px * 2;
    } else if (ins->set.l.use_prev_close && md->has_prev_close && (md->prev_close > 0 || neg)) {
        ref.known = ref.close = true;
        ref.twice             = (i128_t)md->prev_close * 2;
    }
    return ref;
}

/* The whole price next to the reference at which a contract is worth more. */
static int64_t whole(const m_instrument_t *ins, i128_t twice)
{
    const i128_t away = absolute(twice) / 2 + (ins->def.kind == INSTRUMENT_INVERSE ? 0 : absolute(twice) % 2);
    return (int64_t)(twice < 0 ? -away : away);
}

/* 185: against the mark in force at the end of the newest slice that ended w ago; slices are 1/64 of w. */
static void model_volatility(risk_model_t *m, uint32_t instrument, now_t now)
{
    m_instrument_t *ins       = &m->instrument[instrument];
    const int64_t   w         = ins->set.l.vol_w_ns;
    m->marks                  = grow(m->marks, m->mark_count, &m->mark_room, sizeof *m->marks);
    m->marks[m->mark_count++] = (m_mark_t){.instrument = instrument, .t = now.mono_ns, .px = ins->mark_px};
    if (w == 0 || now.mono_ns < ins->pause_until) {
        return;
    }
    const int64_t   slice = w / 64, newest = (now.mono_ns - w) / slice - 1;
    const m_mark_t *base = NULL;
    for (size_t i = m->mark_count; i-- > 0 && base == NULL;) {
        if (m->marks[i].instrument == instrument && m->marks[i].t / slice <= newest) {
            base = &m->marks[i];
        }
    }
    if (base != NULL && absolute((i128_t)ins->mark_px - base->px) * FULL > absolute(base->px) * ins->set.l.vol_bp) {
        ins->pause_until = now.mono_ns + ins->set.l.vol_pause_ns;
    }
}

void risk_model_md(risk_model_t *m, uint32_t instrument, const risk_md_t *md, now_t now)
{
    m_instrument_t *ins   = &m->instrument[instrument];
    ins->md               = *md;
    const reference_t ref = reference_of(ins, now);
    m->now                = now;
    if (ref.known) {
        ins->mark_px = whole(ins, ref.twice);
        model_volatility(m, instrument, now);
    }
}

/* ---- exposure: from the lists -------------------------------------------------------------------------------------- */

typedef struct part {
    i128_t qty, lo, hi;
} part_t;

static i128_t reach_of(const risk_model_t *m, const m_order_t *o)
{
    i128_t reach = o->qty;
    for (uint32_t i = 0; i < o->pendings && o->open; i++) { /* what was under way at the end never came about */
        reach = m->fault == RISK_MODEL_REPLACE_NEW ? o->pending[i].qty : larger(reach, o->pending[i].qty);
    }
    return reach;
}

static bool counts(const risk_model_t *m, const m_order_t *o)
{
    return o->open && !(m->fault == RISK_MODEL_CANCEL_FREES && o->cancel_sent) &&
           !(m->fault == RISK_MODEL_UNKNOWN_DEAD && o->unknown);
}

/* What of an open order counts, with one more replace in place when `more` is given. */
static part_t part_of(const risk_model_t *m, const m_order_t *o, const pending_t *more)
{
    part_t p = {.qty = reach_of(m, o), .lo = smaller(o->px, o->px_value), .hi = larger(o->px, o->px_value)};
    for (uint32_t i = 0; i <= o->pendings; i++) {
        const pending_t *x = i < o->pendings ? &o->pending[i] : more;
        if (x != NULL) {
            p.qty = larger(p.qty, x == more ? x->qty : p.qty);
            p.lo  = smaller(p.lo, smaller(x->px, x->px_value));
            p.hi  = larger(p.hi, larger(x->px, x->px_value));
        }
    }
    p.qty -= o->filled - (m->fault == RISK_MODEL_BUST_REOPENS ? o->busted : 0);
    p.qty = larger(p.qty, 0);
    return p;
}

static i128_t worth_of(const m_instrument_t *ins, part_t p)
{
    return larger(worth(&ins->def, p.lo, p.qty), worth(&ins->def, p.hi, p.qty));
}

void risk_model_exposure(const risk_model_t *m, uint32_t account, uint32_t strategy, uint32_t instrument,
                         risk_exposure_t *out)
{
    *out = (risk_exposure_t){0};
    for (size_t i = 0; i < m->fill_count; i++) {
        const m_fill_t *f = &m->fills[i];
        if ((account == 0 || f->account == account) && (strategy == 0 || f->strategy == strategy) &&
            f->instrument == instrument && !f->busted) {
            out->pos += f->qty;
        }
    }
    for (size_t i = 0; i < m->order_count; i++) {
        const m_order_t *o = &m->orders[i];
        if ((account == 0 || o->account == account) && (strategy == 0 || o->strategy == strategy) &&
            o->instrument == instrument && counts(m, o)) {
            const part_t p = part_of(m, o, NULL);
            *(o->buy ? &out->buy_open : &out->sell_open) += (int64_t)p.qty;
            out->open_value += (int64_t)worth_of(&m->instrument[instrument], p);
            out->open_orders++;
        }
    }
    out->worst_long  = out->pos + out->buy_open;
    out->worst_short = out->sell_open - out->pos;
}

static i128_t signed_worth(const risk_model_t *m, const m_instrument_t *ins, int64_t px, i128_t qty)
{
    const i128_t v = px ? home(m, ins, worth(&ins->def, px, qty)) : 0;
    return qty < 0 ? -v : v;
}

typedef struct sums {
    i128_t gross, net_long, net_short, open_value, open_orders, need, bought;
} sums_t;

static i128_t need_of(const m_instrument_t *ins, i128_t value)
{
    return ceiling(value * ins->set.l.margin_bp, FULL);
}

/* What open buys of an account and instrument are worth, in its money. */
static i128_t bought_of(const risk_model_t *m, uint32_t account, uint32_t instrument)
{
    i128_t sum = 0;
    for (size_t i = 0; i < m->order_count; i++) {
        const m_order_t *o = &m->orders[i];
        if (o->account == account && o->instrument == instrument && o->buy && counts(m, o)) {
            sum += worth_of(&m->instrument[instrument], part_of(m, o, NULL));
        }
    }
    return sum;
}

static i128_t traded_of(const risk_model_t *m, uint32_t account)
{
    i128_t sum = 0;
    for (size_t i = 0; i < m->fill_count; i++) {
        const m_fill_t *f = &m->fills[i];
        sum += f->account == account && f->day == m->now.utc_ns / NS_PER_DAY ? f->value : 0;
    }
    const m_account_t *a = &m->account[account];
    return sum + (a->busted_day == m->now.utc_ns / NS_PER_DAY ? a->busted_value : 0);
}

/* Over the instruments of an account but `without`. */
static sums_t sums_of(const risk_model_t *m, uint32_t account, uint32_t without)
{
    sums_t s = {0};
    for (uint32_t id = 1; id < N; id++) {
        const m_instrument_t *ins = &m->instrument[id];
        risk_exposure_t       x;
        if (id == without || ins->def.instrument_id == 0) {
            continue;
        }
        risk_model_exposure(m, account, 0, id, &x);
        const i128_t l = signed_worth(m, ins, ins->mark_px, x.worst_long);
        const i128_t k = signed_worth(m, ins, ins->mark_px, x.worst_short);
        s.gross += larger(absolute(l), absolute(k));
        s.net_long += l;
        s.net_short += k;
        s.open_value += home(m, ins, x.open_value);
        s.open_orders += x.open_orders;
        s.need += need_of(ins, larger(absolute(l), absolute(k)));
        s.bought += ins->def.kind == INSTRUMENT_SPOT ? home(m, ins, bought_of(m, account, id)) : 0;
    }
    return s;
}

void risk_model_account_state(const risk_model_t *m, uint32_t account, risk_account_state_t *out)
{
    const sums_t       s = sums_of(m, account, 0);
    const m_account_t *a = &m->account[account];
    *out                 = (risk_account_state_t){.gross        = s.gross,
                                                  .net_long     = s.net_long,
                                                  .net_short    = s.net_short,
                                                  .open_value   = s.open_value,
                                                  .need         = s.need,
                                                  .traded_value = traded_of(m, account),
                                                  .open_orders  = (int64_t)s.open_orders,
                                                  .latched      = a->latched,
                                                  .reduce_only  = a->reduce_only,
                                                  .killed       = a->killed,
                                                  .unreconciled = a->unreconciled,
                                                  .recovering   = a->recovering};
}

static m_order_t *order_of(const risk_model_t *m, uint64_t id)
{
    for (size_t i = 0; i < m->order_count; i++) {
        if (m->orders[i].id == id) {
            return &m->orders[i];
        }
    }
    return NULL;
}

int64_t risk_model_leaves(const risk_model_t *m, uint64_t id)
{
    const m_order_t *o = order_of(m, id);
    return o == NULL || !o->open ? -1 : (int64_t)(reach_of(m, o) - o->filled);
}

uint32_t risk_model_open(const risk_model_t *m, uint64_t *ids, uint32_t room)
{
    uint32_t n = 0;
    for (size_t i = m->order_count; i-- > 0 && n < room;) {
        if (m->orders[i].open) {
            ids[n++] = m->orders[i].id;
        }
    }
    return n;
}

/* ---- the chain ----------------------------------------------------------------------------------------------------- */

typedef struct ask {
    risk_model_t         *m;
    const order_req_t    *req;
    now_t                 now;
    risk_model_verdict_t *out;
    m_account_t          *acc;
    m_strategy_t         *strategy;
    m_instrument_t       *ins;
    m_venue_t            *venue;
    m_order_t            *target;
    m_set_t              *row, *strategy_row;
    bool                  buy, amend, px_known;
    reference_t           ref;
    int64_t               px, px_value;
    i128_t                value;              /* of the order */
    i128_t                l, k, l_now, k_now; /* worst cases with and without it */
    i128_t                open_then;          /* open value of this instrument with it, in its money */
    risk_mode_t           mode;
    bool                  counted; /* for 271 and 272 since it was held */
} ask_t;

static int64_t clamp(i128_t v)
{
    return (int64_t)larger(smaller(v, INT64_MAX), INT64_MIN);
}

static bool no(ask_t *a, uint16_t code, scope_t scope, uint32_t id, i128_t observed, i128_t limit)
{
    a->out->code       = code;
    a->out->scope_type = scope;
    a->out->scope_id   = id;
    a->out->observed   = clamp(observed);
    a->out->limit      = clamp(limit);
    return false;
}

static bool no_ins(ask_t *a, uint16_t code, i128_t observed, i128_t limit)
{
    return no(a, code, SCOPE_INSTRUMENT, a->req->instrument_id, observed, limit);
}

static bool no_acc(ask_t *a, uint16_t code, i128_t observed, i128_t limit)
{
    return no(a, code, SCOPE_ACCOUNT, a->req->account_id, observed, limit);
}

static bool no_row(ask_t *a, uint16_t code, i128_t observed, i128_t limit)
{
    return no(a, code, SCOPE_ACCOUNT_INSTRUMENT, a->req->account_id, observed, limit);
}

/* What goes to a venue is a limit order or, new, a market order; what is held may be of any type, and have an end. */
static bool words(const ask_t *a)
{
    const order_req_t *q    = a->req;
    const bool         held = a->mode == RISK_MODE_HOLD;
    if (q->side != SIDE_BUY && q->side != SIDE_SELL) {
        return false;
    }
    if (q->ord_type != ORD_TYPE_LIMIT && !(q->ord_type == ORD_TYPE_MARKET && q->action == ORDER_ACTION_NEW) &&
        !(held && q->ord_type > ORD_TYPE_NONE && q->ord_type < ORD_TYPE_COUNT)) {
        return false;
    }
    const bool ends = q->tif == TIF_GTD && (held || a->mode == RISK_MODE_RELEASE);
    if (q->tif != TIF_DAY && q->tif != TIF_GTC && q->tif != TIF_IOC && q->tif != TIF_FOK && !ends) {
        return false;
    }
    const bool limit = q->ord_type == ORD_TYPE_LIMIT || q->ord_type == ORD_TYPE_STOP_LIMIT;
    return (limit && q->tif != TIF_IOC && q->tif != TIF_FOK) || (q->exec_inst & EXEC_INST_POST_ONLY) == 0;
}

static bool names(ask_t *a)
{
    risk_model_t      *m = a->m;
    const order_req_t *q = a->req;
    if (q->action < ORDER_ACTION_NEW || q->action > ORDER_ACTION_CANCEL ||
        (q->exec_inst & ~(EXEC_INST_POST_ONLY | EXEC_INST_REDUCE_ONLY)) != 0) {
        return no(a, 101, SCOPE_NONE, 0, q->action, ORDER_ACTION_CANCEL);
    }
    if (q->action != ORDER_ACTION_CANCEL && !words(a)) {
        return no(a, 104, SCOPE_NONE, 0, q->side, 0);
    }
    if (cl_ord_id_seq(q->cl_ord_id) == 0) {
        return no(a, 112, SCOPE_NONE, 0, (int64_t)q->cl_ord_id, 0);
    }
    if (q->instrument_id == 0 || q->instrument_id >= N || m->instrument[q->instrument_id].def.instrument_id == 0) {
        return no_ins(a, 102, q->instrument_id, m->cfg.instruments_max);
    }
    if (q->account_id == 0 || q->account_id >= N || !m->account[q->account_id].exists) {
        return no_acc(a, 103, q->account_id, m->cfg.accounts_max);
    }
    a->ins   = &m->instrument[q->instrument_id];
    a->acc   = &m->account[q->account_id];
    a->venue = &m->venue[a->ins->def.venue_id];
    a->row   = &m->row[q->account_id][q->instrument_id];
    if (q->strategy_id != 0 && q->strategy_id < N && m->strategy[q->strategy_id].tenant != 0) {
        a->strategy     = &m->strategy[q->strategy_id];
        a->strategy_row = &m->strategy_row[q->strategy_id][q->instrument_id];
    }
    if (q->tenant_id != a->acc->cfg.tenant_id || (a->strategy && q->tenant_id != a->strategy->tenant)) {
        return no_acc(a, 122, q->tenant_id, a->acc->cfg.tenant_id);
    }
    return true;
}

static bool target(ask_t *a)
{
    const order_req_t *q = a->req;
    if (q->action == ORDER_ACTION_NEW) {
        return true;
    }
    const m_order_t *o = a->target = order_of(a->m, q->orig_cl_ord_id);
    if (o == NULL || o->account != q->account_id || o->instrument != q->instrument_id ||
        (a->amend && (o->buy != a->buy || o->strategy != q->strategy_id))) {
        return no_acc(a, 115, (int64_t)q->orig_cl_ord_id, 0);
    }
    if (!o->open) {
        return no_acc(a, 116, 0, 0);
    }
    if (a->amend && q->qty < o->filled) {
        return no_acc(a, 117, q->qty, o->filled);
    }
    return true;
}

/* A market order goes out as a limit order at the collar, or at the static band where that is nearer, rounded to the tick
 * towards the reference. */
static void price(ask_t *a)
{
    const i128_t c = a->ins->set.l.collar_bp, t = a->ins->tick, twice = a->ref.twice;
    a->px       = a->req->px;
    a->px_known = true;
    if (a->mode == RISK_MODE_HOLD && a->req->ord_type != ORD_TYPE_LIMIT && a->req->ord_type != ORD_TYPE_STOP_LIMIT) {
        a->px_known = false; /* it will be what the market is then */
        return;
    }
    if (a->req->ord_type != ORD_TYPE_MARKET) {
        return;
    }
    a->px_known                    = a->ins->set.known && a->ref.known && a->ref.book;
    const instrument_def_t *def    = &a->ins->def;
    const bool              banded = def->band_lower != 0 || def->band_upper != 0;
    if (a->buy) {
        i128_t bound = floored(twice * FULL + absolute(twice) * c, 2 * FULL);
        bound        = banded && bound > def->band_upper ? def->band_upper : bound;
        a->px        = (int64_t)(floored(bound, t) * t);
    } else {
        i128_t bound = -floored(-(twice * FULL - absolute(twice) * c), 2 * FULL);
        bound        = banded && bound < def->band_lower ? def->band_lower : bound;
        a->px        = (int64_t)(-floored(-bound, t) * t);
    }
}

static bool figures(ask_t *a, bool seen)
{
    const order_req_t      *q   = a->req;
    const instrument_def_t *def = &a->ins->def;
    if (!a->amend && seen &&
        a->mode != RISK_MODE_RELEASE) { /* says what was said first: its code, and the engine sequence then */
        for (size_t i = a->m->said_count; i-- > 0;) {
            if (a->m->saids[i].id == q->cl_ord_id) {
                return no_acc(a, 113, a->m->saids[i].code, (int64_t)a->m->saids[i].seq);
            }
        }
        return no_acc(a, 113, -1, -1);
    }
    if (q->qty <= 0) {
        return no_ins(a, 105, q->qty, 1);
    }
    if (q->qty % def->lot != 0) {
        return no_ins(a, 107, q->qty, def->lot);
    }
    if (q->qty < def->min_qty) {
        return no_ins(a, 109, q->qty, def->min_qty);
    }
    a->ref = reference_of(a->ins, a->now);
    price(a);
    const bool priced = q->ord_type != ORD_TYPE_MARKET && a->px_known;
    if (priced && q->px <= 0 && !def->allow_negative) {
        return no_ins(a, 106, q->px, 1);
    }
    if (priced && q->px % a->ins->tick != 0) {
        return no_ins(a, 108, q->px, a->ins->tick);
    }
    risk_exposure_t x;
    risk_model_exposure(a->m, q->account_id, 0, q->instrument_id, &x);
    const part_t own = a->amend ? part_of(a->m, a->target, NULL) : (part_t){0};
    const i128_t qty = q->qty - (a->amend ? a->target->filled : 0);
    a->l_now = a->l = x.worst_long;
    a->k_now = a->k = x.worst_short;
    *(a->buy ? &a->l : &a->k) += qty - own.qty;
    if (a->px_known) {
        a->px_value = a->px;
        if (!a->buy && a->ref.known && a->m->fault != RISK_MODEL_SELL_AT_LIMIT) {
            a->px_value = (int64_t)larger(a->px, whole(a->ins, a->ref.twice));
        }
        const i128_t at_limit = worth(def, a->px, q->qty);
        a->value              = larger(at_limit, worth(def, a->px_value, q->qty));
        const pending_t mine  = {.qty = q->qty, .px = a->px, .px_value = a->px_value};
        a->open_then          = x.open_value - (a->amend ? worth_of(a->ins, own) : 0) +
                       (a->amend ? worth_of(a->ins, part_of(a->m, a->target, &mine)) : a->value);
        if (at_limit < def->min_notional) {
            return no_ins(a, 110, at_limit, def->min_notional);
        }
        a->value = home(a->m, a->ins, a->value);
    }
    if (a->mode == RISK_MODE_RELEASE) { /* as old as it may be: it waited */
        return true;
    }
    const i128_t age = (i128_t)a->now.mono_ns - q->created_mono_ns;
    if (age > a->m->cfg.max_request_age_ns) {
        return no(a, 114, SCOPE_GLOBAL, 0, age, a->m->cfg.max_request_age_ns);
    }
    if (-age > a->m->cfg.max_ahead_ns) {
        return no(a, 114, SCOPE_GLOBAL, 0, age, -a->m->cfg.max_ahead_ns);
    }
    return true;
}

static bool authority(ask_t *a)
{
    const order_req_t        *q      = a->req;
    const risk_account_cfg_t *rights = &a->acc->cfg;
    if (!rights->may_trade) {
        return no_acc(a, 121, 0, 0);
    }
    if (a->m->denied[q->account_id][q->instrument_id]) {
        return no_row(a, 123, q->instrument_id, 0);
    }
    if (a->ins->restricted) {
        return no_ins(a, 124, q->instrument_id, 0);
    }
    if ((rights->venues & 1ULL << a->ins->def.venue_id) == 0) {
        return no(a, 125, SCOPE_ACCOUNT_VENUE, q->account_id, a->ins->def.venue_id, 0);
    }
    if (a->mode != RISK_MODE_HOLD && !a->buy && !rights->may_short && a->k > 0) {
        return no_row(a, 126, a->k, 0);
    }
    if ((rights->ord_types & 1U << q->ord_type) == 0) {
        return no_acc(a, 127, q->ord_type, 0);
    }
    if (q->strategy_id != 0 && (a->strategy == NULL || a->strategy->approved == 0)) {
        return no(a, 128, SCOPE_STRATEGY, q->strategy_id, q->strategy_id, 0);
    }
    return true;
}

static bool kills(ask_t *a)
{
    const order_req_t *q = a->req;
    if (a->mode == RISK_MODE_FLATTEN) {
        return true;
    }
    if (a->m->killed) {
        return no(a, 141, SCOPE_GLOBAL, 0, 1, 0);
    }
    if (a->m->tenant_killed[q->tenant_id]) {
        return no(a, 142, SCOPE_TENANT, q->tenant_id, 1, 0);
    }
    if (a->acc->killed) {
        return no_acc(a, 143, 1, 0);
    }
    if (a->acc->row_killed[q->instrument_id]) {
        return no_row(a, 143, 1, 0);
    }
    if (a->strategy && (a->strategy->killed || a->strategy->stopped)) {
        return no(a, 144, SCOPE_STRATEGY, q->strategy_id, 1, 0);
    }
    if (a->strategy && a->strategy->row_killed[q->instrument_id]) {
        return no(a, 144, SCOPE_STRATEGY_INSTRUMENT, q->strategy_id, 1, 0);
    }
    if (a->venue->killed) {
        return no(a, 145, SCOPE_VENUE, a->ins->def.venue_id, 1, 0);
    }
    if (a->acc->venues_killed & 1ULL << a->ins->def.venue_id) {
        return no(a, 145, SCOPE_ACCOUNT_VENUE, q->account_id, 1, 0);
    }
    return a->ins->killed ? no_ins(a, 146, 1, 0) : true;
}

/* Both must be open; the venue speaks first; where neither says a word nothing trades. */
static bool session(ask_t *a)
{
    static const uint16_t codes[] = {[SESSION_NONE] = 147,     [SESSION_OPEN] = 0,     [SESSION_CLOSED] = 147,
                                     [SESSION_PRE_OPEN] = 157, [SESSION_HALTED] = 148, [SESSION_CANCEL_ONLY] = 149};
    const uint8_t         v = a->venue->session, i = a->ins->session;
    if (v != SESSION_NONE && v != SESSION_OPEN) {
        return no(a, codes[v], SCOPE_VENUE, a->ins->def.venue_id, v, SESSION_OPEN);
    }
    const uint8_t state = i == SESSION_NONE ? v : i;
    return codes[state] ? no_ins(a, codes[state], state, SESSION_OPEN) : true;
}

static bool limits_there(ask_t *a)
{
    const order_req_t *q = a->req;
    if (!a->acc->set.known || (foreign(a->m, a->ins) && a->m->rate == 0)) {
        return no_acc(a, 155, 0, 0);
    }
    if (!a->ins->set.known) {
        return no_ins(a, 155, 0, 0);
    }
    if (!a->row->known) {
        return no_row(a, 155, 0, 0);
    }
    if (!a->venue->set.known) {
        return no(a, 155, SCOPE_VENUE, a->ins->def.venue_id, 0, 0);
    }
    if (a->strategy && !a->strategy->set.known) {
        return no(a, 155, SCOPE_STRATEGY, q->strategy_id, 0, 0);
    }
    if (a->strategy && !a->strategy_row->known) {
        return no(a, 155, SCOPE_STRATEGY_INSTRUMENT, q->strategy_id, 0, 0);
    }
    return true;
}

static bool states(ask_t *a)
{
    if (!kills(a) || !session(a)) {
        return false;
    }
    if (a->venue->ring_full) {
        return no(a, 158, SCOPE_VENUE, a->ins->def.venue_id, 1, 0);
    }
    const bool     held = a->mode == RISK_MODE_HOLD; /* judged by what is filled, and its own word when it leaves */
    const uint16_t inst = held ? 0 : a->req->exec_inst | (a->amend ? a->target->exec_inst : 0);
    if (a->acc->reduce_only || a->acc->latched || (inst & EXEC_INST_REDUCE_ONLY)) {
        risk_exposure_t x;
        risk_model_exposure(a->m, a->req->account_id, 0, a->req->instrument_id, &x);
        const i128_t l = held ? x.pos + (i128_t)a->req->qty : a->l, k = held ? a->req->qty - (i128_t)x.pos : a->k;
        if (a->buy ? x.pos >= 0 || l > 0 : x.pos <= 0 || k > 0) {
            const uint16_t code = a->acc->latched && !a->acc->reduce_only ? a->acc->latched : 150;
            return no_acc(a, code, a->buy ? a->l : a->k, 0);
        }
    }
    if (a->acc->recovering) {
        return no_acc(a, 151, 1, 0);
    }
    if (a->acc->unreconciled) {
        return no_acc(a, 152, 1, 0);
    }
    if (!a->venue->link) {
        return no(a, 153, SCOPE_VENUE, a->ins->def.venue_id, 0, 1);
    }
    if (!a->m->journal) {
        return no(a, 154, SCOPE_GLOBAL, 0, 0, 1);
    }
    if (!a->m->clock) {
        return no(a, 156, SCOPE_GLOBAL, 0, 0, 1);
    }
    return limits_there(a);
}

static bool market(ask_t *a)
{
    const risk_md_t     *md       = &a->ins->md;
    const risk_limits_t *limits   = &a->ins->set.l;
    const bool           book     = md->has_bid && md->has_ask;
    const bool           last     = md->has_last && a->req->ord_type != ORD_TYPE_MARKET;
    const i128_t         old_book = a->now.mono_ns - md->book_mono_ns, old_last = a->now.mono_ns - md->last_mono_ns;
    const bool           by_close = a->ref.close && a->req->ord_type != ORD_TYPE_MARKET;
    if (!book && !last && !by_close) {
        return no_ins(a, 161, 0, 0);
    }
    if (!(book && old_book <= limits->max_md_age_ns) && !(last && old_last <= limits->max_md_age_ns) && !by_close) {
        return no_ins(a, 162, !book ? old_last : !last ? old_book : smaller(old_book, old_last), limits->max_md_age_ns);
    }
    if (a->ref.book) {
        const i128_t sum = (i128_t)md->bid_px + md->ask_px, spread = (i128_t)md->ask_px - md->bid_px;
        if (spread <= 0 || (md->bid_px <= 0 && !a->ins->def.allow_negative)) {
            return no_ins(a, 163, md->bid_px, md->ask_px);
        }
        if (spread > floored(absolute(sum) * limits->max_spread_bp, 2 * FULL)) { /* a whole number of price units */
            return no_ins(a, 163, spread, floored(absolute(sum) * limits->max_spread_bp, 2 * FULL));
        }
    }
    const i128_t old_rate = (i128_t)a->now.mono_ns - a->m->rate_ns;
    if (foreign(a->m, a->ins) && old_rate > a->m->cfg.fx_max_age_ns) {
        return no_acc(a, 162, old_rate, a->m->cfg.fx_max_age_ns);
    }
    if (md->feed_gap) {
        return no_ins(a, 164, 1, 0);
    }
    return a->ref.known ? true : no_ins(a, 161, 0, 0);
}

/* Bounds are whole prices, rounded towards the reference: stricter. */
static bool prices(ask_t *a)
{
    const risk_limits_t    *limits = &a->ins->set.l;
    const instrument_def_t *def    = &a->ins->def;
    const i128_t            r = a->ref.twice * FULL, r1 = absolute(a->ref.twice);
    const i128_t            above = r + r1 * (a->buy ? limits->collar_bp : limits->far_bp);
    const i128_t            below = r - r1 * (a->buy ? limits->far_bp : limits->collar_bp);
    i128_t                  top = floored(above, 2 * FULL), low = -floored(-below, 2 * FULL);
    if (a->m->fault == RISK_MODEL_COLLAR_ROUNDED) {
        top = -floored(-above, 2 * FULL);
        low = floored(below, 2 * FULL);
    }
    if (a->px > top) {
        return no_ins(a, a->buy ? 181 : 183, a->px, top);
    }
    if (a->px < low) {
        return no_ins(a, a->buy ? 183 : 182, a->px, low);
    }
    if ((def->band_lower != 0 || def->band_upper != 0) && (a->px < def->band_lower || a->px > def->band_upper)) {
        return no_ins(a, 184, a->px, a->px < def->band_lower ? def->band_lower : def->band_upper);
    }
    return a->now.mono_ns < a->ins->pause_until ? no_ins(a, 185, a->now.mono_ns, a->ins->pause_until) : true;
}

static bool sizes(ask_t *a)
{
    const int64_t q = a->req->qty;
    if (q > a->ins->set.l.max_qty) {
        return no_ins(a, 201, q, a->ins->set.l.max_qty);
    }
    if (q > a->row->l.max_qty) {
        return no_row(a, 201, q, a->row->l.max_qty);
    }
    if (a->px_known && a->value > a->ins->set.l.max_value) {
        return no_ins(a, 202, a->value, a->ins->set.l.max_value);
    }
    if (a->px_known && a->value > a->acc->set.l.max_value) {
        return no_acc(a, 202, a->value, a->acc->set.l.max_value);
    }
    if (a->mode == RISK_MODE_HOLD) {
        return true;
    }
    const risk_limits_t *l = &a->ins->set.l;
    if (a->ins->adv > 0 && l->adv_bp != RISK_OFF && q > floored((i128_t)a->ins->adv * l->adv_bp, FULL)) {
        return no_ins(a, 203, q, floored((i128_t)a->ins->adv * l->adv_bp, FULL));
    }
    const int64_t depth = a->buy ? a->ins->md.ask_depth : a->ins->md.bid_depth;
    if (l->depth_bp != RISK_OFF && q > floored((i128_t)depth * l->depth_bp, FULL)) {
        return no_ins(a, 203, q, floored((i128_t)depth * l->depth_bp, FULL));
    }
    return true;
}

static bool within(const ask_t *a, int64_t t, int64_t w)
{
    return a->now.mono_ns - t < w || (a->m->fault == RISK_MODEL_WINDOW_CLOSED && a->now.mono_ns - t == w);
}

/* New orders and amends of a scope that passed in (t - w, t]. */
static int64_t passed_in(const ask_t *a, scope_t scope, int64_t w)
{
    int64_t n = 0;
    for (size_t i = 0; i < a->m->passed_count; i++) {
        const m_passed_t *p    = &a->m->passed[i];
        const bool        mine = scope == SCOPE_STRATEGY  ? p->req.strategy_id == a->req->strategy_id
                                 : scope == SCOPE_ACCOUNT ? p->req.account_id == a->req->account_id
                                                          : p->venue == a->ins->def.venue_id;
        n += mine && p->rate && within(a, p->t, w);
    }
    return n;
}

/* 278: a share of what the venue allows is kept for cancels. */
static bool budget(ask_t *a)
{
    const m_venue_t *v    = a->venue;
    const bool       over = a->now.mono_ns - v->budget_ns >= v->budget.w_ns;
    const i128_t     used = (over ? 0 : v->budget.used + v->budget_sent) + 1;
    const i128_t     most = floored((i128_t)v->budget.limit * v->set.l.budget_bp, FULL);
    if (a->now.utc_ns < v->budget.hold_until_utc_ns) {
        return no(a, 278, SCOPE_VENUE, a->ins->def.venue_id, a->now.utc_ns, v->budget.hold_until_utc_ns);
    }
    if (v->budget.limit > 0 && used > most) {
        return no(a, 278, SCOPE_VENUE, a->ins->def.venue_id, used, most);
    }
    return true;
}

/* 275: requests of the strategy on the instrument today over executions, by count and by quantity. */
static bool order_to_trade(ask_t *a)
{
    const risk_limits_t *l     = &a->strategy->set.l;
    const int64_t        today = a->now.utc_ns / NS_PER_DAY;
    i128_t               sent = 1, sent_qty = a->req->qty - (a->amend ? a->target->filled : 0), trades = 0, traded = 0;
    for (size_t i = 0; i < a->m->passed_count; i++) {
        const m_passed_t *p = &a->m->passed[i];
        if (p->req.strategy_id == a->req->strategy_id && p->req.instrument_id == a->req->instrument_id &&
            p->day == today && p->sent && !p->auction) {
            sent++;
            sent_qty += p->leaves;
        }
    }
    for (size_t i = 0; i < a->m->fill_count; i++) {
        const m_fill_t *f = &a->m->fills[i];
        if (f->strategy == a->req->strategy_id && f->instrument == a->req->instrument_id && f->day == today) {
            trades++;
            traded += f->qty < 0 ? -f->qty : f->qty;
        }
    }
    if (sent <= l->otr_start) {
        return true;
    }
    if (trades == 0) {
        return sent <= l->otr_max ? true : no(a, 275, SCOPE_STRATEGY_INSTRUMENT, a->req->strategy_id, sent, l->otr_max);
    }
    const i128_t by_count = ceiling(sent, trades) - 1, by_qty = ceiling(sent_qty, traded) - 1;
    if (by_count > l->otr_max || by_qty > l->otr_max) {
        return no(a, 275, SCOPE_STRATEGY_INSTRUMENT, a->req->strategy_id, by_count > l->otr_max ? by_count : by_qty,
                  l->otr_max);
    }
    return true;
}

static bool rates(ask_t *a)
{
    const struct {
        scope_t        scope;
        uint32_t       id;
        const m_set_t *set;
    } scopes[] = {{SCOPE_STRATEGY, a->req->strategy_id, a->strategy ? &a->strategy->set : NULL},
                  {SCOPE_ACCOUNT, a->req->account_id, &a->acc->set},
                  {SCOPE_VENUE, a->ins->def.venue_id, &a->venue->set}};
    for (uint16_t code = 271; code <= 272; code++) {
        for (int i = 0; i < 3; i++) {
            if (scopes[i].set == NULL || a->counted) {
                continue;
            }
            const risk_limits_t *l = &scopes[i].set->l;
            const int64_t        n = code == 271 ? l->rate_n : l->msg_n;
            if (passed_in(a, scopes[i].scope, code == 271 ? l->rate_w_ns : l->msg_w_ns) >= n) {
                return no(a, code, scopes[i].scope, scopes[i].id, (i128_t)n + 1, n);
            }
        }
    }
    if (a->mode == RISK_MODE_HOLD) {
        return true;
    }
    const risk_limits_t *l     = &a->acc->set.l;
    i128_t               value = a->value;
    int64_t              held = 0, equal = 0;
    for (size_t i = 0; i < a->m->passed_count; i++) {
        const m_passed_t *p    = &a->m->passed[i];
        const bool        mine = p->req.account_id == a->req->account_id;
        if (p->req.action == ORDER_ACTION_CANCEL || !p->sent) {
            continue;
        }
        if (mine && within(a, p->t, l->value_w_ns)) {
            value += p->value;
            held++;
        }
        equal += (mine || a->m->fault == RISK_MODEL_DUP_ANY_ACCOUNT) && p->req.action == ORDER_ACTION_NEW &&
                 within(a, p->t, l->dup_w_ns) && (p->px == a->px || a->req->ord_type == ORD_TYPE_MARKET) &&
                 p->req.qty == a->req->qty && p->req.instrument_id == a->req->instrument_id &&
                 p->req.side == a->req->side && p->req.ord_type == a->req->ord_type;
    }
    if (value > l->value_w_max || held >= a->m->cfg.value_window_max) {
        return no_acc(a, 273, value, l->value_w_max);
    }
    if (!budget(a)) {
        return false;
    }
    if (!a->amend && equal >= l->dup_n) {
        return no_acc(a, 277, equal + 1, l->dup_n);
    }
    return a->strategy == NULL || order_to_trade(a);
}

static bool self_trade(ask_t *a)
{
    const bool by_account = a->m->cfg.stp == RISK_STP_ACCOUNT || a->m->fault == RISK_MODEL_STP_ACCOUNT;
    bool       found      = false;
    i128_t     best       = 0;
    for (size_t i = 0; i < a->m->order_count; i++) {
        const m_order_t *o = &a->m->orders[i];
        if (!o->open || o->buy == a->buy || o->instrument != a->req->instrument_id ||
            (by_account ? o->account != a->req->account_id : o->tenant != a->req->tenant_id)) {
            continue;
        }
        i128_t eager = o->px;
        for (uint32_t k = 0; k < o->pendings; k++) {
            const pending_t *p = &o->pending[k];
            eager = o->buy ? larger(eager, larger(p->px, p->px_value)) : smaller(eager, smaller(p->px, p->px_value));
        }
        if (a->buy ? eager <= a->px : eager >= a->px) {
            best  = !found ? eager : a->buy ? smaller(best, eager) : larger(best, eager);
            found = true;
        }
    }
    if (!found) {
        return true;
    }
    return no(a, 291, by_account ? SCOPE_ACCOUNT : SCOPE_TENANT, by_account ? a->req->account_id : a->req->tenant_id,
              a->px, best);
}

/* 229 to 231: margin of the worst case of account, tenant and firm; own funds; what was and would be traded. */
static bool capital(ask_t *a, const sums_t *others, i128_t own, bool raises)
{
    const risk_limits_t *l    = &a->acc->set.l;
    const i128_t         need = others->need + need_of(a->ins, own);
    if (raises) {
        i128_t tenant = need, firm = need;
        for (uint32_t id = 1; id < N; id++) {
            if (id != a->req->account_id && a->m->account[id].exists) {
                const i128_t his = sums_of(a->m, id, 0).need;
                firm += his;
                tenant += a->m->account[id].cfg.tenant_id == a->req->tenant_id ? his : 0;
            }
        }
        const m_set_t *t = &a->m->tenant[a->req->tenant_id], *f = &a->m->firm;
        if (l->max_credit != RISK_OFF && need > l->max_credit) {
            return no_acc(a, 229, need, l->max_credit);
        }
        if (t->known && t->l.max_credit != RISK_OFF && tenant > t->l.max_credit) {
            return no(a, 229, SCOPE_TENANT, a->req->tenant_id, tenant, t->l.max_credit);
        }
        if (f->known && f->l.max_credit != RISK_OFF && firm > f->l.max_credit) {
            return no(a, 229, SCOPE_GLOBAL, 0, firm, f->l.max_credit);
        }
    }
    if (a->acc->cfg.funds == RISK_FUNDS_MARGIN && raises && need > a->acc->equity) {
        return no_acc(a, 230, need, a->acc->equity);
    }
    if (a->acc->cfg.funds == RISK_FUNDS_CASH && a->buy && a->ins->def.kind == INSTRUMENT_SPOT) {
        const i128_t    others_too = bought_of(a->m, a->req->account_id, a->req->instrument_id) + a->open_then;
        risk_exposure_t x;
        risk_model_exposure(a->m, a->req->account_id, 0, a->req->instrument_id, &x);
        const i128_t spent = /* open_then has this instrument's other orders */
            others->bought + home(a->m, a->ins, others_too - x.open_value);
        if (spent > a->acc->cash_free) {
            return no_acc(a, 230, spent, a->acc->cash_free);
        }
    }
    const i128_t turnover = traded_of(a->m, a->req->account_id) + others->open_value + home(a->m, a->ins, a->open_then);
    if (l->max_turnover != RISK_OFF && turnover > l->max_turnover) {
        return no_acc(a, 231, turnover, l->max_turnover);
    }
    return true;
}

static bool exposure(ask_t *a)
{
    const bool     strict = a->m->fault == RISK_MODEL_LONG_STRICT;
    const uint16_t code   = a->buy ? 221 : 222;
    const i128_t   worst  = a->buy || a->m->fault == RISK_MODEL_SHORT_OTHER_SIDE ? a->l : a->k;
    const i128_t   limit  = a->buy ? a->row->l.max_long : a->row->l.max_short;
    if (worst > limit || (strict && worst == limit)) {
        return no_row(a, code, worst, limit);
    }
    if (a->strategy) {
        risk_exposure_t x;
        risk_model_exposure(a->m, 0, a->req->strategy_id, a->req->instrument_id, &x);
        const i128_t raised = a->buy ? a->l - a->l_now : a->k - a->k_now;
        const i128_t then   = (a->buy ? x.worst_long : x.worst_short) + raised;
        const i128_t max    = a->buy ? a->strategy_row->l.max_long : a->strategy_row->l.max_short;
        if (then > max) {
            return no(a, code, SCOPE_STRATEGY_INSTRUMENT, a->req->strategy_id, then, max);
        }
    }
    const m_set_t *tenant = &a->m->tenant_row[a->req->tenant_id][a->req->instrument_id];
    if (tenant->known) {
        risk_exposure_t x, sum = {0};
        for (uint32_t id = 1; id < N; id++) {
            if (a->m->account[id].exists && a->m->account[id].cfg.tenant_id == a->req->tenant_id) {
                risk_model_exposure(a->m, id, 0, a->req->instrument_id, &x);
                sum.worst_long += x.worst_long;
                sum.worst_short += x.worst_short;
            }
        }
        const i128_t then = a->buy ? sum.worst_long + a->l - a->l_now : sum.worst_short + a->k - a->k_now;
        const i128_t max  = a->buy ? tenant->l.max_long : tenant->l.max_short;
        if (then > max) {
            return no(a, code, SCOPE_TENANT_INSTRUMENT, a->req->tenant_id, then, max);
        }
    }
    const risk_limits_t *l      = &a->acc->set.l;
    const sums_t         others = sums_of(a->m, a->req->account_id, a->req->instrument_id);
    const int64_t        ref    = whole(a->ins, a->ref.twice);
    const i128_t         vl = signed_worth(a->m, a->ins, ref, a->l), vk = signed_worth(a->m, a->ins, ref, a->k);
    const i128_t         own   = larger(absolute(vl), absolute(vk));
    const i128_t         gross = others.gross + own;
    const i128_t         net   = a->buy ? others.net_long + vl : others.net_short + vk;
    const bool raises = larger(absolute(a->l), absolute(a->k)) > larger(absolute(a->l_now), absolute(a->k_now));
    if ((raises || a->m->fault == RISK_MODEL_GROSS_ALWAYS) && gross > l->max_gross) {
        return no_acc(a, 223, gross, l->max_gross);
    }
    if (net > l->max_net) {
        return no_acc(a, 224, net, l->max_net);
    }
    if (raises && own > floored((i128_t)l->max_gross * l->concentration_bp, FULL)) {
        return no_row(a, 225, own, floored((i128_t)l->max_gross * l->concentration_bp, FULL));
    }
    risk_exposure_t x;
    risk_model_exposure(a->m, a->req->account_id, 0, a->req->instrument_id, &x);
    if (!a->amend && x.open_orders + 1 > a->row->l.max_open_orders) {
        return no_row(a, 226, x.open_orders + 1, a->row->l.max_open_orders);
    }
    if (!a->amend && others.open_orders + x.open_orders + 1 > l->max_open_orders) {
        return no_acc(a, 227, others.open_orders + x.open_orders + 1, l->max_open_orders);
    }
    const i128_t open = others.open_value + home(a->m, a->ins, a->open_then);
    if (open > l->max_open_value) {
        return no_acc(a, 228, open, l->max_open_value);
    }
    return capital(a, &others, own, raises);
}

static void remember(ask_t *a)
{
    risk_model_t      *m         = a->m;
    const order_req_t *q         = a->req;
    const bool         cancel    = q->action == ORDER_ACTION_CANCEL;
    m->passed                    = grow(m->passed, m->passed_count, &m->passed_room, sizeof *m->passed);
    m->passed[m->passed_count++] = (m_passed_t){
        .t       = a->now.mono_ns,
        .req     = *q,
        .px      = a->px,
        .value   = (int64_t)a->value,
        .leaves  = cancel ? (int64_t)larger(0, a->target->qty - a->target->filled)
                          : q->qty - (a->amend ? a->target->filled : 0),
        .day     = a->now.utc_ns / NS_PER_DAY,
        .venue   = a->ins->def.venue_id,
        .rate    = !cancel && !a->counted,
        .sent    = a->mode != RISK_MODE_HOLD,
        .auction = cancel && (a->venue->session == SESSION_PRE_OPEN || a->ins->session == SESSION_PRE_OPEN)};
    if (a->mode == RISK_MODE_HOLD) {
        return;
    }
    if (a->now.mono_ns - a->venue->budget_ns >= a->venue->budget.w_ns) {
        a->venue->budget_ns   = a->now.mono_ns;
        a->venue->budget.used = a->venue->budget_sent = 0;
    }
    a->venue->budget_sent++;
    if (q->action == ORDER_ACTION_CANCEL) {
        a->target->cancel_sent = true;
    } else if (a->amend) {
        must(a->target->pendings < RISK_MODEL_PENDING, "more replaces under way than a test makes");
        a->target->pending[a->target->pendings++] = (pending_t){.qty = q->qty, .px = a->px, .px_value = a->px_value};
        a->target->replaces++;
    } else {
        m->orders                   = grow(m->orders, m->order_count, &m->order_room, sizeof *m->orders);
        m->orders[m->order_count++] = (m_order_t){.id         = q->cl_ord_id,
                                                  .account    = q->account_id,
                                                  .strategy   = q->strategy_id,
                                                  .tenant     = q->tenant_id,
                                                  .instrument = q->instrument_id,
                                                  .buy        = a->buy,
                                                  .open       = true,
                                                  .exec_inst  = q->exec_inst,
                                                  .qty        = q->qty,
                                                  .px         = a->px,
                                                  .px_value   = a->px_value};
    }
}

static bool judge(ask_t *a, bool seen)
{
    const bool early = a->m->fault == RISK_MODEL_ORDER_D_BEFORE_C;
    if (!names(a) || !target(a)) {
        return false;
    }
    if (a->req->action == ORDER_ACTION_CANCEL) {
        return true;
    }
    if (a->mode == RISK_MODE_HOLD) {
        return figures(a, seen) && authority(a) && states(a) && sizes(a) && rates(a);
    }
    return figures(a, seen) && authority(a) && (!early || market(a)) && states(a) && (early || market(a)) &&
           prices(a) && sizes(a) && rates(a) && self_trade(a) && exposure(a);
}

/* 279: too many denials of one strategy stop it. */
static void rejected(risk_model_t *m, uint32_t strategy, now_t now)
{
    if (strategy == 0 || strategy >= N || !m->strategy[strategy].set.known || m->strategy[strategy].killed ||
        m->strategy[strategy].stopped) {
        return;
    }
    int64_t n                     = 0;
    m->rejects                    = grow(m->rejects, m->reject_count, &m->reject_room, sizeof *m->rejects);
    m->rejects[m->reject_count++] = (m_reject_t){.strategy = strategy, .t = now.mono_ns, .counts = true};
    for (size_t i = 0; i < m->reject_count; i++) {
        const m_reject_t *r = &m->rejects[i];
        n += r->strategy == strategy && r->counts && now.mono_ns - r->t < m->strategy[strategy].set.l.reject_w_ns;
    }
    m->strategy[strategy].stopped = n > m->strategy[strategy].set.l.reject_n;
}

void risk_model_check(risk_model_t *m, const order_req_t *req, risk_mode_t mode, uint64_t order_seq, now_t now,
                      risk_model_verdict_t *out)
{
    uint64_t  *newest = &m->seen[cl_ord_id_origin(req->cl_ord_id)];
    const bool seen   = cl_ord_id_seq(req->cl_ord_id) == 0 || cl_ord_id_mark(req->cl_ord_id) <= *newest;
    ask_t      a      = {.m       = m,
                         .req     = req,
                         .mode    = mode,
                         .counted = seen && mode == RISK_MODE_RELEASE && m->fault != RISK_MODEL_RELEASE_COUNTS,
                         .now     = now,
                         .out     = out,
                         .buy     = req->side == SIDE_BUY,
                         .amend   = req->action == ORDER_ACTION_REPLACE};
    *out              = (risk_model_verdict_t){0};
    m->now            = now;
    if (!judge(&a, seen)) {
        rejected(m, req->strategy_id, now);
    } else {
        if (req->action != ORDER_ACTION_CANCEL && mode != RISK_MODE_HOLD) {
            out->px       = a.px;
            out->px_value = a.px_value;
        }
        remember(&a);
    }
    if (!seen) {
        *newest                   = cl_ord_id_mark(req->cl_ord_id);
        m->saids                  = grow(m->saids, m->said_count, &m->said_room, sizeof *m->saids);
        m->saids[m->said_count++] = (m_said_t){.id = req->cl_ord_id, .seq = order_seq, .code = out->code};
    }
}

/* ---- reports --------------------------------------------------------------------------------------------------------- */

static void answered(m_order_t *o)
{
    if (o->replaces > 0 && --o->replaces == 0) {
        o->pendings = 0;
    }
}

/* Nothing left to fill, and no replace under way that would add to it: done. */
static void settle(const risk_model_t *m, m_order_t *o)
{
    if (o->open && o->filled >= reach_of(m, o)) {
        o->open = false;
    }
}

/* 276: too many executions of a strategy on one side of an instrument stop it. */
static void repeated(risk_model_t *m, m_fill_t *fill, now_t now)
{
    m_strategy_t *s = fill->strategy < N ? &m->strategy[fill->strategy] : NULL;
    int64_t       n = 0;
    if (s == NULL || fill->strategy == 0 || !s->set.known || s->killed || s->stopped) {
        return;
    }
    fill->counts = true;
    for (size_t i = 0; i < m->fill_count; i++) {
        const m_fill_t *f = &m->fills[i];
        n += f->counts && f->strategy == fill->strategy && f->instrument == fill->instrument &&
             (f->qty > 0) == (fill->qty > 0) && now.mono_ns - f->t < s->set.l.rep_w_ns;
    }
    s->stopped = n > s->set.l.rep_n;
}

static void model_fill(risk_model_t *m, m_order_t *o, const exec_report_t *r, now_t now)
{
    for (size_t i = 0; i < m->fill_count; i++) {
        if (m->fills[i].exec_id == r->exec_id_lo && m->fills[i].instrument == r->instrument_id &&
            m->fault != RISK_MODEL_DOUBLE_FILL) {
            return;
        }
    }
    m->fills = grow(m->fills, m->fill_count, &m->fill_room, sizeof *m->fills);
    m->fills[m->fill_count++] =
        (m_fill_t){.exec_id    = r->exec_id_lo,
                   .order      = o ? o->id : 0,
                   .account    = r->account_id,
                   .strategy   = r->strategy_id,
                   .instrument = r->instrument_id,
                   .qty        = r->side == SIDE_BUY ? r->last_qty : -r->last_qty,
                   .px         = r->last_px,
                   .value      = home(m, &m->instrument[r->instrument_id],
                                      worth(&m->instrument[r->instrument_id].def, r->last_px, r->last_qty)),
                   .t          = now.mono_ns,
                   .day        = now.utc_ns / NS_PER_DAY};
    repeated(m, &m->fills[m->fill_count - 1], now);
    if (o != NULL) {
        o->filled += r->last_qty;
        o->unknown = false;
        if (o->filled > reach_of(m, o)) {
            m->account[o->account].reduce_only = true;
        }
        settle(m, o);
    }
}

static void model_bust(risk_model_t *m, const exec_report_t *r, now_t now)
{
    for (size_t i = 0; i < m->fill_count; i++) {
        m_fill_t *f = &m->fills[i];
        if (f->exec_id == r->exec_id_lo && f->instrument == r->instrument_id && !f->busted) {
            m_order_t   *o   = order_of(m, f->order);
            m_account_t *acc = &m->account[f->account];
            f->busted        = true;
            if (acc->busted_day != now.utc_ns / NS_PER_DAY) {
                acc->busted_day   = now.utc_ns / NS_PER_DAY;
                acc->busted_value = 0;
            }
            const m_instrument_t *ins = &m->instrument[f->instrument];
            acc->busted_value += home(m, ins, worth(&ins->def, f->px, f->qty < 0 ? -f->qty : f->qty));
            if (o != NULL) {
                o->busted += f->qty < 0 ? -f->qty : f->qty;
            }
            return;
        }
    }
}

void risk_model_report(risk_model_t *m, const exec_report_t *r, now_t now)
{
    m_order_t *o = order_of(m, r->cl_ord_id);
    if (r->exec_type == EXEC_TYPE_TRADE) {
        model_fill(m, o, r, now);
        return;
    }
    if (r->exec_type == EXEC_TYPE_TRADE_CANCEL) {
        model_bust(m, r, now);
        return;
    }
    if (o == NULL || !o->open) {
        return;
    }
    switch (r->exec_type) {
    case EXEC_TYPE_TIMEOUT: o->unknown = true; break;
    case EXEC_TYPE_CANCELED:
    case EXEC_TYPE_EXPIRED:
    case EXEC_TYPE_REJECTED: o->open = false; break;
    case EXEC_TYPE_REPLACED: {
        i128_t worst = r->px;
        for (uint32_t i = 0; i < o->pendings; i++) {
            worst = larger(worst, larger(o->pending[i].px, o->pending[i].px_value));
        }
        o->qty      = r->order_qty;
        o->px_value = o->buy ? r->px : (int64_t)worst;
        o->px       = r->px;
        answered(o);
        settle(m, o);
        break;
    }
    case EXEC_TYPE_REPLACE_REJECT:
        answered(o);
        settle(m, o);
        break;
    case EXEC_TYPE_CANCEL_REJECT: o->cancel_sent = false; break;
    case EXEC_TYPE_NEW: o->unknown = false; break;
    default: must(false, "a report that is not modelled");
    }
}

/* ---- loss ---------------------------------------------------------------------------------------------------------- */

void risk_model_loss(risk_model_t *m, uint32_t account, const risk_pnl_t *pnl, now_t now)
{
    m_account_t  *a   = &m->account[account];
    const int64_t day = now.utc_ns / NS_PER_DAY + 1;
    if (!a->set.known) {
        return;
    }
    if (a->peak_day != day || pnl->equity > a->peak) {
        a->peak     = pnl->equity;
        a->peak_day = day;
    }
    const struct {
        uint16_t code;
        i128_t   loss, limit;
    } tests[] = {{251, -(i128_t)pnl->day, a->set.l.max_day_loss},
                 {252, -(i128_t)pnl->realised, a->set.l.max_realised_loss},
                 {253, (i128_t)a->peak - pnl->equity, a->set.l.max_drawdown}};
    int  stop = -1; /* the first that is at 120 %, else the first at 100 % */
    bool kill = false, worse = false, any = false;
    for (int i = 0; i < 3; i++) {
        const bool at_100 = tests[i].loss > 0 && tests[i].loss >= tests[i].limit;
        const bool at_120 = tests[i].loss > 0 && tests[i].loss * 10 >= tests[i].limit * 12;
        if ((at_120 && !kill) || (at_100 && stop < 0)) {
            stop = i;
        }
        kill |= at_120;
        any |= at_100;
        worse |=
            a->latched == tests[i].code && now.mono_ns - a->stop_ns >= 60 * NS_PER_S && tests[i].loss > a->stop_loss;
    }
    if (stop >= 0 && a->latched == 0) {
        a->latched   = tests[stop].code;
        a->stop_ns   = now.mono_ns;
        a->stop_loss = (int64_t)tests[stop].loss;
    } else if (!any && m->fault == RISK_MODEL_LATCH_LIFTS) {
        a->latched = 0;
    }
    a->killed |= kill || worse;
}
