/* The position side: rows, sides, cost by average or by lots, fills, marks. */
#include "core/portfolio/portfolio_private.h"

/* ---- rows -------------------------------------------------------------------------------------------------------- */
uint32_t row_find(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id, uint32_t strategy_id)
{
    uint32_t place = *index_of(p, account_id, instrument_id);
    while (place != 0 && row_at(p, place)->strategy_id != strategy_id) {
        place = row_at(p, place)->next;
    }
    return place;
}

uint32_t row_side(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id, uint32_t strategy_id,
                  uint32_t side)
{
    uint32_t place = row_find(p, account_id, instrument_id, strategy_id);
    while (place != 0 && (row_at(p, place)->strategy_id != strategy_id || row_at(p, place)->side != side)) {
        place = row_at(p, place)->next;
    }
    return place;
}

static uint32_t *chain_end(const portfolio_t *p, uint32_t account_id, uint32_t instrument_id)
{
    uint32_t *link = index_of(p, account_id, instrument_id);
    while (*link != 0) {
        link = &row_at(p, *link)->next;
    }
    return link;
}

uint32_t row_make(portfolio_t *p, uint32_t account_id, uint32_t instrument_id, uint32_t strategy_id, uint32_t side)
{
    uint32_t place = row_side(p, account_id, instrument_id, strategy_id, side);
    if (place == 0 && p->rows < p->rows_max) {
        place                                    = ++p->rows;
        *chain_end(p, account_id, instrument_id) = place;
        *row_at(p, place) =
            (row_t){.account_id = account_id, .instrument_id = instrument_id, .strategy_id = strategy_id, .side = side};
    }
    return place;
}

void undo_begin(undo_t *u, const portfolio_t *p, uint32_t account_id)
{
    u->account_id = account_id;
    u->rows       = p->rows;
    u->count      = 0;
    u->account    = *account_of(p, account_id);
}

void undo_row(undo_t *u, const portfolio_t *p, uint32_t place)
{
    for (uint32_t i = 0; i < u->count; i++) {
        if (u->place[i] == place) {
            return;
        }
    }
    if (place <= u->rows) { /* one that is new goes away as a whole */
        assert(u->count < sizeof u->place / sizeof u->place[0]);
        u->place[u->count] = place;
        u->row[u->count++] = *row_at(p, place);
    }
}

void undo_all(undo_t *u, portfolio_t *p)
{
    *account_of(p, u->account_id) = u->account;
    for (uint32_t i = 0; i < u->count; i++) {
        const uint32_t next          = row_at(p, u->place[i])->next; /* a new row may hang there: see below */
        *row_at(p, u->place[i])      = u->row[i];
        row_at(p, u->place[i])->next = next;
    }
    for (; p->rows > u->rows; p->rows--) {
        row_t    *r    = row_at(p, p->rows);
        uint32_t *link = index_of(p, r->account_id, r->instrument_id);
        while (*link != p->rows) {
            link = &row_at(p, *link)->next;
        }
        *link = 0;
        memset(r, 0, sizeof *r);
    }
}

/* ---- who holds --------------------------------------------------------------------------------------------------- */
static void holder_update(portfolio_t *p, uint32_t place)
{
    row_t         *r    = row_at(p, place);
    slot_t        *slot = slot_of(p, r->instrument_id);
    const uint32_t want = r->qty != 0;
    if (r->held == want) {
        return;
    }
    r->held = want;
    if (want) {
        r->holder_prev = 0;
        r->holder_next = slot->holder_first;
        if (slot->holder_first != 0) {
            row_at(p, slot->holder_first)->holder_prev = place;
        }
        slot->holder_first = place;
        return;
    }
    if (r->holder_next != 0) {
        row_at(p, r->holder_next)->holder_prev = r->holder_prev;
    }
    *(r->holder_prev != 0 ? &row_at(p, r->holder_prev)->holder_next : &slot->holder_first) = r->holder_next;
    r->holder_prev = r->holder_next = 0;
}

uint32_t portfolio_holder(const portfolio_t *p, uint32_t instrument_id, uint32_t *cursor)
{
    const uint32_t place = *cursor != 0                           ? row_at(p, *cursor)->holder_next
                           : instrument_defined(p, instrument_id) ? slot_of(p, instrument_id)->holder_first
                                                                  : 0;
    *cursor              = place;
    return place == 0 ? 0 : row_at(p, place)->account_id;
}

/* ---- lots -------------------------------------------------------------------------------------------------------- */
static lot_t *lot_at(const portfolio_t *p, uint32_t place)
{
    return (lot_t *)portfolio_at(p, p->lots_off) + (place - 1);
}

static int64_t size_of(int64_t qty)
{
    return qty > 0 ? qty : -qty;
}

/* Part of a cost that goes with so much of a quantity: rounded up, the remainder stays. */
static i128_t part_of(int64_t cost, int64_t closed, int64_t size)
{
    return div_ceil(mul_i64(cost, closed), size);
}

/* Cost of what stays when so much of the oldest is closed (less than all, or all). */
static i128_t lots_kept(const portfolio_t *p, const row_t *r, int64_t closed)
{
    i128_t   kept  = r->cost;
    uint32_t place = r->lot_first;
    for (; place != 0 && closed >= size_of(lot_at(p, place)->qty); place = lot_at(p, place)->next) {
        kept -= lot_at(p, place)->cost;
        closed -= size_of(lot_at(p, place)->qty);
    }
    return place != 0 ? kept - part_of(lot_at(p, place)->cost, closed, size_of(lot_at(p, place)->qty))
                      : kept - part_of(r->cost - r->lots_cost, closed, size_of(r->qty - r->lots_qty));
}

static void lot_drop(portfolio_t *p, row_t *r)
{
    const uint32_t place = r->lot_first;
    lot_t         *l     = lot_at(p, place);
    r->lots_qty -= l->qty;
    r->lots_cost -= l->cost;
    r->lot_first = l->next;
    if (r->lot_first == 0) {
        r->lot_last = 0;
    }
    *l          = (lot_t){.next = p->lot_free};
    p->lot_free = place;
}

/* The same, done: r->qty and r->cost are those of before or after, it does not matter here. */
static void lots_close(portfolio_t *p, row_t *r, int64_t closed)
{
    while (r->lot_first != 0 && closed >= size_of(lot_at(p, r->lot_first)->qty)) {
        closed -= size_of(lot_at(p, r->lot_first)->qty);
        lot_drop(p, r);
    }
    if (r->lot_first != 0 && closed > 0) {
        lot_t        *l    = lot_at(p, r->lot_first);
        const int64_t qty  = l->qty > 0 ? closed : -closed;
        const int64_t cost = (int64_t)part_of(l->cost, closed, size_of(l->qty));
        l->qty -= qty;
        l->cost -= cost;
        r->lots_qty -= qty;
        r->lots_cost -= cost;
    }
}

static uint32_t lot_take(portfolio_t *p)
{
    uint32_t place = p->lot_free;
    if (place != 0) {
        p->lot_free = lot_at(p, place)->next;
    } else if (p->lots < p->lots_max) {
        place = ++p->lots;
    }
    return place;
}

/* What was the newest lot (not in the pool) goes there, as another one comes behind it. */
static void lots_open(portfolio_t *p, row_t *r, int64_t qty, int64_t cost)
{
    uint32_t place = lot_take(p);
    if (place == 0) {
        if (r->lot_first == r->lot_last) { /* none or one of ours there: the two newest are one */
            return;
        }
        const lot_t oldest = *lot_at(p, r->lot_first);
        lot_t      *second = lot_at(p, oldest.next);
        lot_drop(p, r);
        second->qty += oldest.qty;
        second->cost += oldest.cost;
        r->lots_qty += oldest.qty;
        r->lots_cost += oldest.cost;
        place = lot_take(p);
    }
    *lot_at(p, place) = (lot_t){.qty = qty, .cost = cost};
    if (r->lot_last != 0) {
        lot_at(p, r->lot_last)->next = place;
    } else {
        r->lot_first = place;
    }
    r->lot_last = place;
    r->lots_qty += qty;
    r->lots_cost += cost;
}

/* ---- cost -------------------------------------------------------------------------------------------------------- */
typedef struct plan { /* what a fill does to one row; lots move when the event stands */
    uint32_t place;
    uint32_t opens; /* 1: newest_* becomes a lot of the pool */
    int64_t  closed;
    int64_t  newest_qty;
    int64_t  newest_cost;
} plan_t;

/* What opening qty at px costs, by itself, rounded up. It is part of a fill whose value fits. */
static i128_t cost_of_open(const instrument_t *ins, int64_t px, int64_t qty)
{
    i128_t     flow = 0;
    const bool fits = instrument_value_nano(ins, px, -qty, &flow);
    assert(fits);
    return -div_floor(flow, NANO);
}

/* r->qty += qty, |qty| <= INT64_MAX; proceeds: money that came in. *profit: what is realised. */
static bool position_fill(const portfolio_t *p, row_t *r, bool fifo, const instrument_t *ins, int64_t px, int64_t qty,
                          i128_t proceeds, plan_t *plan, i128_t *profit)
{
    const int64_t was = r->qty;
    const i128_t  now = (i128_t)was + qty;
    *profit           = 0;
    if (!within(now, INT64_MAX)) {
        return false;
    }
    if (was == 0 || (was > 0) == (qty > 0)) {
        plan->opens       = fifo && was != 0;
        plan->newest_qty  = was - r->lots_qty;
        plan->newest_cost = r->cost - r->lots_cost;
        r->qty            = (int64_t)now;
        return total_add(&r->cost, -proceeds);
    }
    i128_t kept = 0; /* cost of what is open afterwards */
    if (now == 0 || (now > 0) == (was > 0)) {
        plan->closed = size_of(qty);
        kept         = fifo ? lots_kept(p, r, plan->closed) : r->cost - part_of(r->cost, plan->closed, size_of(was));
    } else {
        plan->closed = size_of(was);
        kept         = cost_of_open(ins, px, (int64_t)now);
    }
    *profit = proceeds - (r->cost - kept);
    r->qty  = (int64_t)now;
    return total_add(&r->cost, kept - r->cost) && total_add(&r->realised, *profit);
}

bool row_unrealised(const slot_t *slot, int64_t qty, int64_t cost, int64_t px, int64_t *out)
{
    i128_t value;
    return instrument_money(&slot->ins, px, qty, &value) && fit_i64(value - cost, out);
}

/* A stale mark may lower pnl_day but not raise it: a profit on it does not count, a loss does. */
static bool row_mark(cash_t *c, row_t *r, const slot_t *slot, int64_t bid_px, int64_t ask_px, bool stale)
{
    int64_t unrealised;
    if (!row_unrealised(slot, r->qty, r->cost, r->qty > 0 ? bid_px : ask_px, &unrealised)) {
        return false;
    }
    const int64_t haircut = stale ? max_i64(unrealised, 0) : 0;
    const bool    fits    = total_add(&c->unrealised, (i128_t)unrealised - r->unrealised) &&
                      total_add(&c->haircut, (i128_t)haircut - r->haircut);
    r->unrealised = unrealised;
    r->haircut    = haircut;
    return fits;
}

/* ---- fills ------------------------------------------------------------------------------------------------------- */
typedef struct part { /* what of a fill one side takes */
    uint32_t side;
    int64_t  qty; /* signed */
} part_t;

static uint32_t side_parts(const portfolio_t *p, const portfolio_fill_t *f, uint32_t strategy_id, bool bust,
                           part_t part[2])
{
    const bool     buys = (f->side == SIDE_BUY) != bust;
    const int64_t  qty  = buys ? f->qty : -f->qty;
    const uint32_t own = buys ? SIDE_BUY : SIDE_SELL, other = buys ? SIDE_SELL : SIDE_BUY;
    if (!(account_of(p, f->account_id)->flags & ACCOUNT_HEDGING)) {
        part[0] = (part_t){SIDE_NONE, qty};
        return 1;
    }
    /* undone: what it opened is closed, what it closed is opened again */
    const uint32_t opens = bust ? POSITION_EFFECT_CLOSE : POSITION_EFFECT_OPEN;
    if (f->position_effect == opens) {
        part[0] = (part_t){own, qty};
        return 1;
    }
    const uint32_t place  = row_side(p, f->account_id, f->instrument_id, strategy_id, other);
    const int64_t  there  = place == 0 ? 0 : size_of(row_at(p, place)->qty);
    const int64_t  closed = min_i64(there, f->qty);
    uint32_t       count  = 0;
    if (closed > 0) {
        part[count++] = (part_t){other, buys ? closed : -closed};
    }
    if (closed < f->qty) {
        part[count++] = (part_t){own, buys ? f->qty - closed : closed - f->qty};
    }
    return count;
}

typedef struct booking { /* one fill or bust, for account and strategy */
    const portfolio_fill_t *f;
    bool                    bust;
    i128_t                  flow; /* of the whole */
    i128_t                  fee;
    undo_t                  undo;
    uint32_t                plans;
    plan_t                  plan[4];
} booking_t;

/* Its first row carries the owner's flows, so that cash is the floor of their sum whichever side they went to. */
static bool book_owner(portfolio_t *p, booking_t *b, uint32_t strategy_id, cash_t *c)
{
    const portfolio_fill_t *f    = b->f;
    const instrument_t     *ins  = &slot_of(p, f->instrument_id)->ins;
    const bool              fifo = (account_of(p, f->account_id)->flags & ACCOUNT_FIFO) != 0;
    part_t                  part[2];
    i128_t                  left  = b->flow;
    const uint32_t          count = side_parts(p, f, strategy_id, b->bust, part);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t place = row_make(p, f->account_id, f->instrument_id, strategy_id, part[i].side);
        i128_t         flow  = left, profit;
        if (place == 0) {
            return false;
        }
        if (i + 1 < count) {
            const bool fits = instrument_value_nano(ins, f->px, -part[i].qty, &flow);
            assert(fits); /* less than the whole, whose value fits */
        }
        left -= flow;
        const uint32_t first = row_find(p, f->account_id, f->instrument_id, strategy_id);
        undo_row(&b->undo, p, first);
        undo_row(&b->undo, p, place);
        row_t        *r = row_at(p, place), *head = row_at(p, first);
        const int64_t cost     = r->cost;
        const i128_t  after    = head->flow_nano + flow;
        const i128_t  proceeds = div_floor(after, NANO) - div_floor(head->flow_nano, NANO);
        plan_t       *plan     = &b->plan[b->plans++];
        *plan                  = (plan_t){.place = place};
        head->flow_nano        = after;
        if ((c != NULL && !ledger_fill(c, &head->carry_nano, flow)) ||
            !position_fill(p, r, fifo, ins, f->px, part[i].qty, proceeds, plan, &profit) ||
            (c != NULL && !total_add(&c->realised, profit)) || (i == 0 && !total_add(&r->fees, b->fee))) {
            return false;
        }
        if (c != NULL && ins->def.kind != INSTRUMENT_SPOT) {
            c->open_cost += (i128_t)r->cost - cost;
        }
    }
    return true;
}

/* Lots, holders: what cannot fail. */
static void book_stand(portfolio_t *p, const booking_t *b)
{
    for (uint32_t i = 0; i < b->plans; i++) {
        const plan_t *plan = &b->plan[i];
        row_t        *r    = row_at(p, plan->place);
        if (plan->closed > 0) {
            lots_close(p, r, plan->closed);
        }
        if (plan->opens) {
            lots_open(p, r, plan->newest_qty, plan->newest_cost);
        }
        if (r->strategy_id == 0) {
            holder_update(p, plan->place);
        }
    }
}

static err_t check_fill(const portfolio_t *p, const portfolio_fill_t *f)
{
    const err_t err = check_ids(p, f->account_id, f->instrument_id);
    if (err != ERR_OK) {
        return err;
    }
    if (f->side != SIDE_BUY && f->side != SIDE_SELL) {
        return err_set(ERR_ARG, "portfolio: fill on instrument %u: side %u, limit 1 buy or 2 sell", f->instrument_id,
                       f->side);
    }
    if (f->qty <= 0 || !px_bookable(slot_of(p, f->instrument_id), f->px)) {
        return err_set(ERR_ARG, "portfolio: fill on instrument %u: qty %lld at px %lld, limit above 0",
                       f->instrument_id, (long long)f->qty, (long long)f->px);
    }
    return ERR_OK;
}

/* A fill moves cash by value(-q) and a bust by -value(-q) of the fill's q: the latter gives back the same nano money,
 * where value(q) would be a nano short after a division. */
static bool book_flow(const slot_t *slot, booking_t *b)
{
    const int64_t filled = b->f->side == SIDE_BUY ? b->f->qty : -b->f->qty;
    int64_t       money;
    if (!instrument_value_nano(&slot->ins, b->f->px, -filled, &b->flow) || !fit_i64(b->flow / NANO, &money)) {
        return false;
    }
    b->flow = b->bust ? -b->flow : b->flow;
    b->fee  = b->bust ? -(i128_t)b->f->fee : b->f->fee;
    return true;
}

static err_t book(portfolio_t *p, const portfolio_fill_t *f, bool bust, bool charges)
{
    booking_t b;
    charged_t charged;
    err_t     err = check_fill(p, f);
    if (err != ERR_OK) {
        return err;
    }
    b.f     = f;
    b.bust  = bust;
    b.plans = 0;
    undo_begin(&b.undo, p, f->account_id);
    slot_t        *slot  = slot_of(p, f->instrument_id);
    account_t     *a     = account_of(p, f->account_id);
    const uint32_t index = cash_open(p, a, slot->ins.def.settle_ccy);
    if (index == PORTFOLIO_CCYS_MAX) {
        return err_set(ERR_LIMIT, "portfolio: account %u: instrument %u settles in one currency more than %u",
                       f->account_id, f->instrument_id, PORTFOLIO_CCYS_MAX);
    }
    cash_t       *c      = &a->cash[index];
    const int64_t bid_px = slot->marked ? slot->bid_px : f->px;
    const int64_t ask_px = slot->marked ? slot->ask_px : f->px;
    bool ok = book_flow(slot, &b) && book_owner(p, &b, 0, c) && ledger_pay(c, -b.fee) && total_add(&c->fees, b.fee) &&
              (f->strategy_id == 0 || book_owner(p, &b, f->strategy_id, NULL)) &&
              (!charges || (bust ? charge_undo(p, &b.undo, f) : charge_fill(p, &b.undo, f, &charged)));
    for (uint32_t i = 0; ok && i < b.plans; i++) {
        row_t *r = row_at(p, b.plan[i].place);
        ok       = r->strategy_id != 0 || row_mark(c, r, slot, bid_px, ask_px, slot->stale);
    }
    if (!ok || !account_settle(p, a)) {
        undo_all(&b.undo, p);
        return err_set(ERR_RANGE,
                       "portfolio: account %u: %s of %lld of instrument %u at px %lld, fee %lld: a total leaves "
                       "its range (quantity int64, money +-%lld), or %u positions are too few",
                       f->account_id, bust ? "bust" : "fill", (long long)f->qty, f->instrument_id, (long long)f->px,
                       (long long)f->fee, (long long)TOTAL_MAX, p->rows_max);
    }
    book_stand(p, &b);
    if (charges && bust) {
        charge_forget(p, f);
    } else if (charges) {
        charge_keep(p, f, &charged);
    }
    slot->bid_px = bid_px;
    slot->ask_px = ask_px;
    slot->marked = 1;
    return ERR_OK;
}

err_t portfolio_fill(portfolio_t *p, const portfolio_fill_t *fill)
{
    return book(p, fill, false, true);
}

err_t portfolio_bust(portfolio_t *p, const portfolio_fill_t *fill)
{
    return book(p, fill, true, true);
}

err_t portfolio_correct(portfolio_t *p, const portfolio_fill_t *was, const portfolio_fill_t *now)
{
    err_t err = book(p, was, true, false);
    if (err == ERR_OK) {
        err = book(p, now, false, false);
        if (err != ERR_OK) { /* at the ends of the totals not even that may fit: a cost that came back is another one */
            (void)book(p, was, false, false);
        }
    }
    return err;
}

err_t portfolio_funding(portfolio_t *p, uint32_t account_id, uint32_t instrument_id, int64_t received)
{
    const err_t err = check_ids(p, account_id, instrument_id);
    undo_t      u;
    if (err != ERR_OK) {
        return err;
    }
    undo_begin(&u, p, account_id);
    account_t     *a     = account_of(p, account_id);
    const uint32_t index = cash_open(p, a, slot_of(p, instrument_id)->ins.def.settle_ccy);
    if (index == PORTFOLIO_CCYS_MAX) {
        return err_set(ERR_LIMIT, "portfolio: account %u: instrument %u settles in one currency more than %u",
                       account_id, instrument_id, PORTFOLIO_CCYS_MAX);
    }
    uint32_t place = row_find(p, account_id, instrument_id, 0);
    if (place == 0) {
        place = row_make(p, account_id, instrument_id, 0, a->flags & ACCOUNT_HEDGING ? SIDE_BUY : SIDE_NONE);
    }
    bool ok = place != 0;
    if (ok) {
        undo_row(&u, p, place);
        ok = ledger_pay(&a->cash[index], received) && total_add(&row_at(p, place)->funding, received) &&
             total_add(&a->cash[index].funding, received);
    }
    if (!ok || !account_settle(p, a)) {
        undo_all(&u, p);
        return err_set(
            ERR_RANGE,
            "portfolio: account %u: funding %lld of instrument %u: a total leaves +-%lld, or %u positions are "
            "too few",
            account_id, (long long)received, instrument_id, (long long)TOTAL_MAX, p->rows_max);
    }
    return ERR_OK;
}

void portfolio_prefetch(const portfolio_t *p, uint32_t instrument_id)
{
    const slot_t *slot = slot_of(p, instrument_id);
    __builtin_prefetch(&slot->ins.def);
    __builtin_prefetch(&slot->bid_px, 1);
}

/* ---- marks ------------------------------------------------------------------------------------------------------- */
static cash_t *cash_of_row(const portfolio_t *p, const row_t *r, const slot_t *slot)
{
    account_t *a = account_of(p, r->account_id);
    return &a->cash[cash_find(a, slot->ins.def.settle_ccy)];
}

/* One row at a mark; false: it cannot be, and nothing changed. Peaks are not looked at yet. */
static bool remark_row(const portfolio_t *p, row_t *r, const slot_t *slot, int64_t bid_px, int64_t ask_px, bool stale)
{
    cash_t       *c          = cash_of_row(p, r, slot);
    const cash_t  cash       = *c;
    const int64_t unrealised = r->unrealised, haircut = r->haircut;
    if (row_mark(c, r, slot, bid_px, ask_px, stale) && within(cash_equity(c), EQUITY_MAX)) {
        return true;
    }
    *c            = cash;
    r->unrealised = unrealised;
    r->haircut    = haircut;
    return false;
}

/* A mark which one account cannot take is taken by none: those before it go back to the old one. */
static err_t remark(portfolio_t *p, uint32_t instrument_id, int64_t bid_px, int64_t ask_px, bool stale)
{
    slot_t  *slot = slot_of(p, instrument_id);
    uint32_t at   = slot->holder_first;
    while (at != 0 && remark_row(p, row_at(p, at), slot, bid_px, ask_px, stale)) {
        at = row_at(p, at)->holder_next;
    }
    if (at != 0) {
        const uint32_t account_id = row_at(p, at)->account_id;
        while ((at = row_at(p, at)->holder_prev) != 0) {
            const bool back = remark_row(p, row_at(p, at), slot, slot->bid_px, slot->ask_px, slot->stale);
            assert(back);
        }
        return err_set(ERR_RANGE,
                       "portfolio: instrument %u at bid %lld, ask %lld: unrealised of account %u leaves +-%lld",
                       instrument_id, (long long)bid_px, (long long)ask_px, account_id, (long long)TOTAL_MAX);
    }
    slot->bid_px = bid_px;
    slot->ask_px = ask_px;
    slot->marked = 1;
    slot->stale  = stale;
    for (at = slot->holder_first; at != 0; at = row_at(p, at)->holder_next) {
        const bool fits = account_settle(p, account_of(p, row_at(p, at)->account_id));
        assert(fits); /* each currency was looked at above */
    }
    return ERR_OK;
}

/* A price that the instrument can have. */
static bool px_valid(const slot_t *slot, int64_t px)
{
    return px > 0 || slot->ins.def.allow_negative;
}

err_t portfolio_mark(portfolio_t *p, uint32_t instrument_id, int64_t bid_px, int64_t ask_px)
{
    if (!instrument_defined(p, instrument_id)) {
        return err_set(ERR_NOT_FOUND, "portfolio: mark: instrument %u is not defined (instruments_max %u)",
                       instrument_id, p->instruments_max);
    }
    const slot_t *slot = slot_of(p, instrument_id);
    if (slot->marked && !slot->stale && slot->bid_px == bid_px && slot->ask_px == ask_px) {
        return ERR_OK;
    }
    if (!px_valid(slot, bid_px) || !px_valid(slot, ask_px)) {
        return err_set(ERR_ARG, "portfolio: mark of instrument %u: bid %lld, ask %lld, limit above 0", instrument_id,
                       (long long)bid_px, (long long)ask_px);
    }
    return remark(p, instrument_id, bid_px, ask_px, false);
}

err_t portfolio_mark_stale(portfolio_t *p, uint32_t instrument_id)
{
    if (!instrument_defined(p, instrument_id)) {
        return err_set(ERR_NOT_FOUND, "portfolio: stale mark: instrument %u is not defined (instruments_max %u)",
                       instrument_id, p->instruments_max);
    }
    const slot_t *slot = slot_of(p, instrument_id);
    if (!slot->marked || slot->stale) {
        return ERR_OK;
    }
    return remark(p, instrument_id, slot->bid_px, slot->ask_px, true);
}
