#include "tools/venue.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "core/match/delay.h"
#include "core/types/decimal.h"
#include "core/types/time.h"

#define VENUE_MAGIC 0x3165756e65766c68ull /* "hlvenue1" */
#define REQUESTS_MAX 8192u                /* under way on each leg out */
#define QUESTIONS_MAX 4096u
#define HOME_QUIET (VENUE_HOME_MAX / 4) /* a mass status gives its fills while the line home is shorter than this */
#define SWEEP_MAX 1024u                 /* levels that one order takes of a recorded book */
#define PACE_EVENTS 1024u               /* between two looks at the rate */
#define PACE_MEMORY (16 * PACE_EVENTS)  /* older ones count half */
#define PACE_FIRST_MILLI 1630           /* messages of 1,000 events, until some were counted (measured) */
#define STOOD_NS NS_PER_S               /* a market that is behind by more goes on from now */
#define PART_NS (10 * NS_PER_MS)        /* how long requests wait for the rest of a book message */

typedef struct home_item { /* on the line home */
    int64_t  due_ns;
    uint32_t type; /* MSG_EXEC_REPORT, MSG_MASS_STATUS */
    uint32_t reserved;
    union {
        exec_report_t report;
        mass_status_t status;
    };
} home_item_t;

typedef struct question { /* on the line out; a mass status stays at its head until all was said */
    int64_t  due_ns;
    uint32_t type; /* MSG_ORDER_STATUS_REQUEST, MSG_MASS_STATUS_REQUEST, MSG_MASS_CANCEL */
    uint32_t begun;
    uint64_t at; /* mass status: number of the execution to tell next; mass cancel: row to look at next */
    union {
        order_status_req_t order;
        mass_status_req_t  mass;
        mass_cancel_t      cancel;
    };
} question_t;

typedef struct closed_order { /* as it ended */
    uint64_t cl_ord_id;
    uint64_t order_id_lo;
    uint64_t corr_hi;
    uint64_t corr_lo;
    int64_t  px;
    int64_t  order_qty;
    int64_t  cum_qty;
    uint32_t account_id;
    uint32_t strategy_id;
    uint32_t instrument_id;
    uint8_t  side;
    uint8_t  ord_status;
    uint16_t reserved;
} closed_order_t;

struct venue { /* then, each at its offset: log, closed orders, their map, home, questions, scratch, delay, market */
    uint64_t         magic;
    _Atomic uint64_t lock; /* even = whole */
    uint64_t         bytes;
    venue_cfg_t      cfg;
    uint64_t         session;
    int64_t          now_ns;
    int64_t          part_ns; /* recorded market: a book message lacks its LAST part since then; 0 = none does */
    uint64_t         events, messages; /* of the generated market, for its pace */
    uint64_t         log_count;        /* ever; number n (from 0) lies in place n mod VENUE_LOG_MAX */
    uint64_t         closed_count;
    uint64_t         refusals; /* ExecIDs of duplicates that the market never saw */
    uint32_t         home_head, home_count;
    uint32_t         home_on, overflowed;
    uint32_t         question_head, question_count;
    uint64_t         log_at, closed_at, map_at, home_at, question_at, scratch_at, delay_at, market_at;
    uint32_t         scratch_cap, reserved;
    int64_t          position[VENUE_ACCOUNTS_MAX][VENUE_INSTRUMENTS_MAX];
    i128_t           cash_nano[VENUE_ACCOUNTS_MAX][VENUE_INSTRUMENTS_MAX];
};

#define PART(venue, type, offset) ((type *)((char *)(venue) + (venue)->offset))
#define PART_CONST(venue, type, offset) ((const type *)((const char *)(venue) + (venue)->offset))

bool venue_generated(const venue_t *venue)
{
    return venue->cfg.instrument_count > 0;
}

/* Between these the block is not whole. Whoever adopts it comes after our death, so order in this thread is enough. */
static void touch_begin(venue_t *venue)
{
    atomic_store_explicit(&venue->lock, atomic_load_explicit(&venue->lock, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

static void touch_end(venue_t *venue)
{
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&venue->lock, atomic_load_explicit(&venue->lock, memory_order_relaxed) + 1,
                          memory_order_release);
}

/* ---- configuration, layout ---------------------------------------------------------------------------------------- */

err_t venue_config(const config_t *config, venue_cfg_t *out)
{
    const config_venue_t *v = &config->venue;
    fee_cfg_t             fee;
    const err_t           err = config_fees(config, &fee);
    if (err != ERR_OK) {
        return err;
    }
    *out = (venue_cfg_t){.seed             = (uint64_t)config->market.seed,
                         .rate             = config->market.rate,
                         .instrument_count = config->capture.files_count ? 0 : (uint32_t)config->market.instruments,
                         .place_ns         = v->place_us * NS_PER_US,
                         .cancel_ns        = v->cancel_us * NS_PER_US,
                         .report_ns        = v->report_us * NS_PER_US,
                         .fee              = fee,
                         .book             = {.window_ticks = (uint32_t)config->engine.book_window_ticks,
                                              .far_slots    = (uint32_t)config->engine.book_far_levels}};
    return ERR_OK;
}

size_t venue_bytes(const config_t *config)
{
    venue_cfg_t cfg;
    return venue_config(config, &cfg) == ERR_OK ? venue_footprint(&cfg) : 0;
}

/* Time between two events of one instrument, when so many events gave so many messages. */
static int64_t pace_ns(const venue_cfg_t *cfg, uint64_t events, uint64_t messages)
{
    const i128_t gap =
        (i128_t)NS_PER_S * cfg->instrument_count * (i128_t)messages / ((i128_t)cfg->rate * (i128_t)events);
    return gap < NS_PER_US ? NS_PER_US : (int64_t)gap;
}

static flow_cfg_t market_flow(const venue_cfg_t *cfg, uint64_t session, int64_t ts_ns)
{
    return (flow_cfg_t){.seed             = cfg->seed,
                        .session          = session,
                        .start_ns         = ts_ns,
                        .gap_mean_ns      = cfg->rate ? pace_ns(cfg, 1000, PACE_FIRST_MILLI) : NS_PER_S,
                        .instrument_count = cfg->instrument_count,
                        .own_max          = VENUE_ORDERS_MAX,
                        .venue_id         = VENUE_ID,
                        .fee              = cfg->fee};
}

static sim_venue_cfg_t market_recorded(const venue_cfg_t *cfg, uint64_t session)
{
    return (sim_venue_cfg_t){.session         = session,
                             .instruments_max = VENUE_INSTRUMENTS_MAX,
                             .orders_max      = VENUE_ORDERS_MAX,
                             .fills_max       = SWEEP_MAX,
                             .book            = cfg->book};
}

static delay_cfg_t delay_config(const venue_cfg_t *cfg)
{
    return (delay_cfg_t){
        .latency_ns = {[DELAY_PLACE] = cfg->place_ns, [DELAY_AMEND] = cfg->cancel_ns, [DELAY_CANCEL] = cfg->cancel_ns},
        .depth      = {REQUESTS_MAX, REQUESTS_MAX, REQUESTS_MAX, 1, 1, 0}}; /* reports go home by a line of ours */
}

static uint64_t place(size_t *bytes, size_t size)
{
    const uint64_t at = (*bytes + 127) & ~(size_t)127;
    *bytes            = at + size;
    return at;
}

static bool layout(const venue_cfg_t *cfg, venue_t *head)
{
    if (cfg->rate < 0 || cfg->report_ns < 0 || cfg->report_ns > DELAY_LATENCY_MAX_NS) {
        err_set(ERR_ARG, "venue: rate %lld messages a second, report latency %lld ns, limits 0 and 0..%lld",
                (long long)cfg->rate, (long long)cfg->report_ns, DELAY_LATENCY_MAX_NS);
        return false;
    }
    const flow_cfg_t      flow     = market_flow(cfg, 0, 0);
    const sim_venue_cfg_t recorded = market_recorded(cfg, 0);
    const delay_cfg_t     delay    = delay_config(cfg);
    const size_t          market   = cfg->instrument_count ? flow_footprint(&flow) : sim_venue_footprint(&recorded);
    const size_t          lines    = delay_footprint(&delay);
    size_t                bytes    = sizeof *head;
    if (market == 0 || lines == 0) {
        return false;
    }
    head->scratch_cap = cfg->instrument_count ? FLOW_REPORTS_MAX
                                              : (VENUE_ORDERS_MAX > SWEEP_MAX + 2 ? VENUE_ORDERS_MAX : SWEEP_MAX + 2);
    head->log_at      = place(&bytes, VENUE_LOG_MAX * sizeof(exec_report_t));
    head->closed_at   = place(&bytes, VENUE_LOG_MAX * sizeof(closed_order_t));
    head->map_at      = place(&bytes, id_map_slots(VENUE_LOG_MAX) * sizeof(id_slot_t));
    head->home_at     = place(&bytes, VENUE_HOME_MAX * sizeof(home_item_t));
    head->question_at = place(&bytes, QUESTIONS_MAX * sizeof(question_t));
    head->scratch_at  = place(&bytes, head->scratch_cap * sizeof(exec_report_t));
    head->delay_at    = place(&bytes, lines);
    head->market_at   = place(&bytes, market);
    head->bytes       = (bytes + 127) & ~(size_t)127;
    head->cfg         = *cfg;
    return true;
}

size_t venue_align(void)
{
    return 128;
}

size_t venue_footprint(const venue_cfg_t *cfg)
{
    venue_t head;
    return layout(cfg, &head) ? head.bytes : 0;
}

/* ---- the market, either of them ----------------------------------------------------------------------------------- */

static flow_t *flow_of(venue_t *venue)
{
    return PART(venue, flow_t, market_at);
}
static sim_venue_t *recorded_of(venue_t *venue)
{
    return PART(venue, sim_venue_t, market_at);
}
static delay_t *delay_of(venue_t *venue)
{
    return PART(venue, delay_t, delay_at);
}

static const own_t *orders_of(const venue_t *venue)
{
    return venue_generated(venue) ? flow_orders(PART_CONST(venue, flow_t, market_at))
                                  : sim_venue_orders(PART_CONST(venue, sim_venue_t, market_at));
}

const instrument_t *venue_listed(const venue_t *venue, uint32_t id)
{
    if (!venue_generated(venue)) {
        return sim_venue_listed(PART_CONST(venue, sim_venue_t, market_at), id);
    }
    return id == 0 || id > venue->cfg.instrument_count ? NULL
                                                       : flow_instrument(PART_CONST(venue, flow_t, market_at), id - 1);
}

static exec_out_t scratch_of(venue_t *venue)
{
    return (exec_out_t){.reports = PART(venue, exec_report_t, scratch_at), .cap = venue->scratch_cap};
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

/* Events of the generated market until its snapshots have been: nobody listens yet. */
static void flow_begin(venue_t *venue, int64_t ts_ns)
{
    exec_out_t out = scratch_of(venue);
    msg_t      msg;
    for (uint32_t i = 0; i < venue->cfg.instrument_count; i++) {
        const err_t err = flow_step(flow_of(venue), ts_ns, &out);
        assert(err == ERR_OK);
        while (flow_md_next(flow_of(venue), &msg)) {
        }
    }
}

venue_t *venue_new(void *mem, const venue_cfg_t *cfg, uint64_t session, int64_t ts_ns)
{
    venue_t head = {0};
    if (!layout(cfg, &head)) {
        return NULL;
    }
    venue_t *venue = mem;
    memset(mem, 0, head.delay_at); /* delay and market format themselves */
    *venue                  = head;
    venue->session          = session;
    venue->now_ns           = ts_ns;
    const delay_cfg_t delay = delay_config(cfg);
    delay_new(delay_of(venue), &delay);
    if (venue_generated(venue)) {
        const flow_cfg_t flow = market_flow(cfg, session, ts_ns);
        flow_new(flow_of(venue), &flow);
        flow_begin(venue, ts_ns);
    } else {
        const sim_venue_cfg_t recorded = market_recorded(cfg, session);
        sim_venue_new(recorded_of(venue), &recorded);
    }
    venue->magic = VENUE_MAGIC;
    return venue;
}

err_t venue_adopt(void *mem, const void *from, size_t bytes, const venue_cfg_t *cfg, int64_t ts_ns)
{
    const venue_t *old  = from;
    venue_t        head = {0};
    if (!layout(cfg, &head)) {
        return ERR_ARG;
    }
    if (bytes < head.bytes || old->magic != VENUE_MAGIC || old->bytes != head.bytes ||
        memcmp(&old->cfg, cfg, sizeof *cfg) != 0) {
        return err_set(ERR_UNSUPPORTED, "venue: the state left behind is of another configuration or build");
    }
    const uint64_t lock = atomic_load_explicit(&old->lock, memory_order_acquire);
    if (lock % 2 != 0) {
        return err_set(ERR_STATE, "venue: the state left behind was being written (lock %llu)",
                       (unsigned long long)lock);
    }
    memcpy(mem, from, head.bytes);
    venue_t *venue        = mem;
    venue->now_ns         = max_i64(venue->now_ns, ts_ns);
    venue->home_count     = 0;
    venue->home_on        = 0;
    venue->overflowed     = 0;
    venue->question_count = 0;
    if (venue_generated(venue)) {
        flow_resume(flow_of(venue), venue->now_ns);
    } else {
        venue_market_lost(venue, venue->now_ns);
    }
    return ERR_OK;
}

int64_t venue_clock(const venue_t *venue)
{
    return venue->now_ns;
}

/* ---- the line home ------------------------------------------------------------------------------------------------ */

static void home_put(venue_t *venue, msg_type_t type, const void *body, size_t size)
{
    if (!venue->home_on) {
        return;
    }
    if (venue->home_count == VENUE_HOME_MAX) {
        venue->overflowed = 1;
        return;
    }
    home_item_t *item = &PART(venue, home_item_t, home_at)[(venue->home_head + venue->home_count++) % VENUE_HOME_MAX];
    item->due_ns      = venue->now_ns + venue->cfg.report_ns;
    item->type        = (uint32_t)type;
    memcpy(&item->report, body, size);
}

static void home_report(venue_t *venue, const exec_report_t *report)
{
    home_put(venue, MSG_EXEC_REPORT, report, sizeof *report);
}

void venue_home(venue_t *venue, bool on)
{
    touch_begin(venue);
    venue->home_on        = on;
    venue->home_count     = 0;
    venue->overflowed     = 0;
    venue->question_count = 0;
    touch_end(venue);
}

bool venue_overflowed(const venue_t *venue)
{
    return venue->overflowed != 0;
}

bool venue_next(venue_t *venue, int64_t ts_ns, msg_t *msg)
{
    const home_item_t *item = &PART(venue, home_item_t, home_at)[venue->home_head];
    if (venue->home_count == 0 || item->due_ns > ts_ns) {
        return false;
    }
    *msg = (msg_t){.type = item->type, .body = &item->report};
    return true;
}

void venue_take(venue_t *venue)
{
    assert(venue->home_count > 0);
    touch_begin(venue);
    venue->home_head = (venue->home_head + 1) % VENUE_HOME_MAX;
    venue->home_count--;
    touch_end(venue);
}

/* ---- what happened: executions, positions, closed orders ---------------------------------------------------------- */

static uint32_t closed_find(const venue_t *venue, uint64_t cl_ord_id)
{
    return cl_ord_id == 0 ? ID_MAP_NONE
                          : id_map_find(PART_CONST(venue, id_slot_t, map_at), id_map_slots(VENUE_LOG_MAX), cl_ord_id);
}

static void closed_remember(venue_t *venue, const exec_report_t *report)
{
    if (report->cl_ord_id == 0 || closed_find(venue, report->cl_ord_id) != ID_MAP_NONE) {
        return;
    }
    id_slot_t      *map = PART(venue, id_slot_t, map_at);
    const uint32_t  row = (uint32_t)(venue->closed_count % VENUE_LOG_MAX);
    closed_order_t *at  = &PART(venue, closed_order_t, closed_at)[row];
    if (venue->closed_count++ >= VENUE_LOG_MAX) {
        id_map_drop(map, id_map_slots(VENUE_LOG_MAX), at->cl_ord_id);
    }
    *at = (closed_order_t){.cl_ord_id     = report->cl_ord_id,
                           .order_id_lo   = report->order_id_lo,
                           .corr_hi       = report->corr_hi,
                           .corr_lo       = report->corr_lo,
                           .px            = report->px,
                           .order_qty     = report->order_qty,
                           .cum_qty       = report->cum_qty,
                           .account_id    = report->account_id,
                           .strategy_id   = report->strategy_id,
                           .instrument_id = report->instrument_id,
                           .side          = report->side,
                           .ord_status    = report->ord_status};
    id_map_put(map, id_map_slots(VENUE_LOG_MAX), report->cl_ord_id, row);
}

static void fill_book(venue_t *venue, const exec_report_t *fill)
{
    PART(venue, exec_report_t, log_at)[venue->log_count++ % VENUE_LOG_MAX] = *fill;
    const int64_t qty      = fill->side == SIDE_BUY ? fill->last_qty : -fill->last_qty;
    int64_t      *position = &venue->position[fill->account_id - 1][fill->instrument_id - 1];
    i128_t       *cash     = &venue->cash_nano[fill->account_id - 1][fill->instrument_id - 1];
    i128_t        value    = 0;
    if (__builtin_add_overflow(*position, qty, position)) {
        *position = qty > 0 ? INT64_MAX : INT64_MIN;
    }
    instrument_value_nano(venue_listed(venue, fill->instrument_id), fill->last_px, qty, &value);
    *cash -= value + (i128_t)fill->fee * pow10_i64(MONEY_NANO_EXP);
}

static void report_book(venue_t *venue, const exec_report_t *report)
{
    if (report->exec_type == EXEC_TYPE_TRADE) {
        fill_book(venue, report);
    }
    const bool closes = report->ord_status == ORD_STATUS_FILLED || report->ord_status == ORD_STATUS_CANCELED ||
                        report->ord_status == ORD_STATUS_EXPIRED || report->ord_status == ORD_STATUS_REJECTED;
    if (closes && !(report->exec_type == EXEC_TYPE_REJECTED && report->reject_code == VENUE_REJECT_DUPLICATE)) {
        closed_remember(venue, report);
    }
    home_report(venue, report);
}

static void reports_book(venue_t *venue, const exec_out_t *out)
{
    for (uint32_t i = 0; i < out->count; i++) {
        report_book(venue, &out->reports[i]);
    }
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

static exec_report_t status_of_open(const venue_t *venue, const own_order_t *order)
{
    return (exec_report_t){.cl_ord_id     = order->req.cl_ord_id,
                           .order_id_hi   = venue->session,
                           .order_id_lo   = order->order_id,
                           .corr_hi       = order->req.corr_hi,
                           .corr_lo       = order->req.corr_lo,
                           .account_id    = order->req.account_id,
                           .strategy_id   = order->req.strategy_id,
                           .instrument_id = order->req.instrument_id,
                           .exec_type     = EXEC_TYPE_ORDER_STATUS,
                           .ord_status    = order->cum_qty > 0 ? ORD_STATUS_PARTIALLY_FILLED : ORD_STATUS_NEW,
                           .side          = order->req.side,
                           .cum_qty       = order->cum_qty,
                           .leaves_qty    = own_leaves(order),
                           .order_qty     = order->req.qty,
                           .px            = order->req.px,
                           .ts_event_ns   = venue->now_ns};
}

static exec_report_t status_of_closed(const venue_t *venue, const closed_order_t *order)
{
    return (exec_report_t){.cl_ord_id     = order->cl_ord_id,
                           .order_id_hi   = order->order_id_lo ? venue->session : 0,
                           .order_id_lo   = order->order_id_lo,
                           .corr_hi       = order->corr_hi,
                           .corr_lo       = order->corr_lo,
                           .account_id    = order->account_id,
                           .strategy_id   = order->strategy_id,
                           .instrument_id = order->instrument_id,
                           .exec_type     = EXEC_TYPE_ORDER_STATUS,
                           .ord_status    = order->ord_status,
                           .side          = order->side,
                           .cum_qty       = order->cum_qty,
                           .order_qty     = order->order_qty,
                           .px            = order->px,
                           .ts_event_ns   = venue->now_ns};
}

/* An account sees its own orders only. */
static void answer_order(venue_t *venue, const order_status_req_t *ask)
{
    const own_t   *own    = orders_of(venue);
    const uint32_t row    = own_find(own, ask->cl_ord_id);
    const uint32_t closed = closed_find(venue, ask->cl_ord_id);
    exec_report_t  answer = {.cl_ord_id     = ask->cl_ord_id,
                             .account_id    = ask->account_id,
                             .instrument_id = ask->instrument_id,
                             .exec_type     = EXEC_TYPE_ORDER_STATUS,
                             .ord_status    = ORD_STATUS_NONE,
                             .cum_qty       = -1,
                             .leaves_qty    = -1,
                             .ts_event_ns   = venue->now_ns};
    if (row != OWN_NONE && own_at(own, row)->req.account_id == ask->account_id) {
        answer = status_of_open(venue, own_at(own, row));
    } else if (closed != ID_MAP_NONE) {
        const closed_order_t *order = &PART(venue, closed_order_t, closed_at)[closed];
        answer                      = order->account_id == ask->account_id ? status_of_closed(venue, order) : answer;
    }
    home_report(venue, &answer);
}

/* The first kept execution at or after a time: they lie in order of time. */
static uint64_t log_since(const venue_t *venue, int64_t since_ns)
{
    const exec_report_t *log = PART_CONST(venue, exec_report_t, log_at);
    uint64_t             lo  = venue->log_count > VENUE_LOG_MAX ? venue->log_count - VENUE_LOG_MAX : 0;
    uint64_t             hi  = venue->log_count;
    while (lo < hi) {
        const uint64_t mid = lo + (hi - lo) / 2;
        if (log[mid % VENUE_LOG_MAX].ts_event_ns < since_ns) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* Cash of one currency in an account, counted at its first instrument; false: not the first, or nothing there. */
static bool cash_of(const venue_t *venue, uint32_t account, uint32_t id, int64_t *out)
{
    const uint64_t ccy = venue_listed(venue, id)->def.settle_ccy;
    i128_t         sum = 0;
    for (uint32_t i = 1; i <= VENUE_INSTRUMENTS_MAX; i++) {
        const instrument_t *ins = venue_listed(venue, i);
        if (ins != NULL && ins->def.settle_ccy == ccy) {
            if (i < id) {
                return false;
            }
            sum += venue->cash_nano[account - 1][i - 1];
        }
    }
    const i128_t money = div_floor(sum, pow10_i64(MONEY_NANO_EXP));
    if (!fit_i64(money, out)) {
        *out = money > 0 ? INT64_MAX : INT64_MIN;
    }
    return sum != 0;
}

/* Is this instrument of the market that was asked about? Each of ours answers for itself; 0 asks about all. */
static bool of_market(const venue_t *venue, const mass_status_req_t *ask, uint32_t instrument_id)
{
    const instrument_t *ins = venue_listed(venue, instrument_id);
    return ins != NULL && (ask->venue_id == 0 || ins->def.venue_id == ask->venue_id);
}

static void answer_account(venue_t *venue, const mass_status_req_t *ask)
{
    const own_t       *own = orders_of(venue);
    const own_order_t *order;
    uint32_t           row = 0;
    mass_status_t status   = {.request_id = ask->request_id, .account_id = ask->account_id, .venue_id = ask->venue_id};
    while ((order = own_next(own, &row)) != NULL) {
        if (order->req.account_id == ask->account_id && of_market(venue, ask, order->req.instrument_id)) {
            const exec_report_t report = status_of_open(venue, order);
            home_report(venue, &report);
        }
    }
    for (uint32_t id = 1; id <= VENUE_INSTRUMENTS_MAX; id++) {
        if (!of_market(venue, ask, id)) {
            continue;
        }
        const instrument_t *ins = venue_listed(venue, id);
        mass_status_t       one = status;
        one.qty                 = venue->position[ask->account_id - 1][id - 1];
        one.instrument_id       = id;
        one.ccy                 = ins->def.settle_ccy;
        one.kind                = MASS_STATUS_POSITION;
        if (one.qty != 0) {
            home_put(venue, MSG_MASS_STATUS, &one, sizeof one);
        }
        one.qty           = 0;
        one.instrument_id = 0;
        one.kind          = MASS_STATUS_BALANCE;
        if (cash_of(venue, ask->account_id, id, &one.amount)) {
            home_put(venue, MSG_MASS_STATUS, &one, sizeof one);
        }
    }
    status.kind = MASS_STATUS_END;
    home_put(venue, MSG_MASS_STATUS, &status, sizeof status);
}

/* One portion of a mass status; true when all was said. */
static bool answer_mass(venue_t *venue, question_t *ask)
{
    const exec_report_t *log    = PART(venue, exec_report_t, log_at);
    const uint64_t       oldest = venue->log_count > VENUE_LOG_MAX ? venue->log_count - VENUE_LOG_MAX : 0;
    if (!ask->begun) {
        ask->begun = 1;
        ask->at    = log_since(venue, ask->mass.since_utc_ns);
    }
    ask->at = ask->at < oldest ? oldest : ask->at;
    for (; ask->at < venue->log_count && venue->home_count < HOME_QUIET; ask->at++) {
        const exec_report_t *fill = &log[ask->at % VENUE_LOG_MAX];
        if (fill->account_id == ask->mass.account_id && of_market(venue, &ask->mass, fill->instrument_id)) {
            home_report(venue, fill);
        }
    }
    if (ask->at < venue->log_count || venue->home_count >= HOME_QUIET) {
        return false;
    }
    answer_account(venue, &ask->mass);
    return true;
}

static question_t *question_first(venue_t *venue)
{
    return venue->question_count ? &PART(venue, question_t, question_at)[venue->question_head] : NULL;
}

static uint32_t flow_tell(venue_t *venue, venue_md_t md, void *ctx)
{
    uint32_t count = 0;
    msg_t    msg;
    for (; flow_md_next(flow_of(venue), &msg); count++) {
        md(ctx, &msg);
    }
    return count;
}

/* One request meets the market. */
static void market_request(venue_t *venue, const order_req_t *req, venue_md_t md, void *ctx)
{
    exec_out_t out = scratch_of(venue);
    err_t      err;
    if (venue_generated(venue)) {
        err = flow_request(flow_of(venue), req, venue->now_ns, &out);
        flow_tell(venue, md, ctx);
    } else {
        err = sim_venue_request(recorded_of(venue), req, venue->now_ns, &out);
    }
    assert(err == ERR_OK);
    reports_book(venue, &out);
}

static bool cancel_takes(const venue_t *venue, const mass_cancel_t *ask, const order_req_t *order)
{
    const instrument_t *ins = venue_listed(venue, order->instrument_id);
    return order->account_id == ask->account_id &&
           (ask->instrument_id == 0 || order->instrument_id == ask->instrument_id) &&
           (ask->side == SIDE_NONE || order->side == ask->side) &&
           (ask->venue_id == 0 || (ins != NULL && ins->def.venue_id == ask->venue_id));
}

/* One portion of a mass cancel: each order is cancelled as if by a request of its own; true when all are. */
static bool cancel_mass(venue_t *venue, question_t *ask, venue_md_t md, void *ctx)
{
    const own_order_t *order;
    uint32_t           row = (uint32_t)ask->at;
    while (venue->home_count < HOME_QUIET && (order = own_next(orders_of(venue), &row)) != NULL) {
        const order_req_t cancel = {.cl_ord_id      = ask->cancel.request_id,
                                    .orig_cl_ord_id = order->req.cl_ord_id,
                                    .corr_hi        = order->req.corr_hi,
                                    .corr_lo        = order->req.corr_lo,
                                    .account_id     = order->req.account_id,
                                    .strategy_id    = order->req.strategy_id,
                                    .instrument_id  = order->req.instrument_id,
                                    .action         = ORDER_ACTION_CANCEL,
                                    .side           = order->req.side};
        if (cancel_takes(venue, &ask->cancel, &order->req)) {
            market_request(venue, &cancel, md, ctx);
        }
        ask->at = row;
    }
    return venue->home_count < HOME_QUIET;
}

/* The oldest question; false when there is no room for the rest of its answer. */
static bool question_answer(venue_t *venue, venue_md_t md, void *ctx)
{
    question_t *ask = question_first(venue);
    if (ask->type == MSG_ORDER_STATUS_REQUEST) {
        answer_order(venue, &ask->order);
    } else if (ask->type == MSG_MASS_CANCEL ? !cancel_mass(venue, ask, md, ctx) : !answer_mass(venue, ask)) {
        return false;
    }
    venue->question_head = (venue->question_head + 1) % QUESTIONS_MAX;
    venue->question_count--;
    return true;
}

/* ---- requests ----------------------------------------------------------------------------------------------------- */

bool venue_ready(const venue_t *venue)
{
    const delay_t *delay = PART_CONST(venue, delay_t, delay_at);
    return delay_room(delay, DELAY_PLACE) > 0 && delay_room(delay, DELAY_AMEND) > 0 &&
           delay_room(delay, DELAY_CANCEL) > 0 && venue->question_count < QUESTIONS_MAX;
}

static err_t account_check(uint32_t account_id)
{
    return account_id >= 1 && account_id <= VENUE_ACCOUNTS_MAX
               ? ERR_OK
               : err_set(ERR_ARG, "venue: request for account %u, limit 1..%u", account_id, VENUE_ACCOUNTS_MAX);
}

static err_t question_put(venue_t *venue, const msg_t *msg, int64_t ts_ns)
{
    question_t ask = {.due_ns = ts_ns + max_i64(venue->cfg.place_ns, venue->cfg.cancel_ns),
                      .type   = (uint32_t)msg->type};
    err_t      err;
    if (msg->type == MSG_ORDER_STATUS_REQUEST) {
        ask.order = *(const order_status_req_t *)msg->body;
        err       = account_check(ask.order.account_id);
    } else if (msg->type == MSG_MASS_CANCEL) {
        ask.cancel = *(const mass_cancel_t *)msg->body;
        err        = account_check(ask.cancel.account_id);
    } else {
        ask.mass = *(const mass_status_req_t *)msg->body;
        err      = account_check(ask.mass.account_id);
    }
    if (err == ERR_OK) {
        PART(venue, question_t, question_at)[(venue->question_head + venue->question_count++) % QUESTIONS_MAX] = ask;
    }
    return err;
}

static err_t request_put(venue_t *venue, const order_req_t *req, int64_t ts_ns)
{
    const err_t err = account_check(req->account_id);
    return err != ERR_OK ? err : delay_push_req(delay_of(venue), ts_ns, req);
}

err_t venue_request(venue_t *venue, const msg_t *msg, int64_t ts_ns)
{
    assert(venue_ready(venue) && ts_ns >= venue->now_ns);
    err_t err;
    touch_begin(venue);
    switch (msg->type) {
    case MSG_ORDER_REQUEST: err = request_put(venue, msg->body, ts_ns); break;
    case MSG_ORDER_STATUS_REQUEST:
    case MSG_MASS_CANCEL:
    case MSG_MASS_STATUS_REQUEST: err = question_put(venue, msg, ts_ns); break;
    default: err = err_set(ERR_ARG, "venue: %s is no request", msg_type_str(msg->type)); break;
    }
    touch_end(venue);
    return err;
}

/* A NEW with the id of an order that has ended: the market would take it for a new one. */
static void refuse_duplicate(venue_t *venue, const order_req_t *req)
{
    const exec_report_t report = {.cl_ord_id     = req->cl_ord_id,
                                  .exec_id_hi    = venue->session,
                                  .exec_id_lo    = 1ull << 63 | ++venue->refusals,
                                  .corr_hi       = req->corr_hi,
                                  .corr_lo       = req->corr_lo,
                                  .account_id    = req->account_id,
                                  .strategy_id   = req->strategy_id,
                                  .instrument_id = req->instrument_id,
                                  .exec_type     = EXEC_TYPE_REJECTED,
                                  .ord_status    = ORD_STATUS_REJECTED,
                                  .side          = req->side,
                                  .order_qty     = req->qty,
                                  .px            = req->px,
                                  .ts_event_ns   = venue->now_ns,
                                  .reject_code   = VENUE_REJECT_DUPLICATE};
    home_report(venue, &report);
}

static void request_run(venue_t *venue, venue_md_t md, void *ctx)
{
    delay_msg_t msg;
    const err_t err = delay_pop(delay_of(venue), venue->now_ns, &msg);
    assert(err == ERR_OK);
    if (msg.req.action == ORDER_ACTION_NEW && closed_find(venue, msg.req.cl_ord_id) != ID_MAP_NONE) {
        refuse_duplicate(venue, &msg.req);
        return;
    }
    market_request(venue, &msg.req, md, ctx);
}

/* ---- the market --------------------------------------------------------------------------------------------------- */

static void market_step(venue_t *venue, venue_md_t md, void *ctx)
{
    exec_out_t  out = scratch_of(venue);
    const err_t err = flow_step(flow_of(venue), venue->now_ns, &out);
    assert(err == ERR_OK);
    venue->messages += flow_tell(venue, md, ctx);
    if (++venue->events % PACE_EVENTS == 0) {
        flow_pace(flow_of(venue), pace_ns(&venue->cfg, venue->events, venue->messages));
        if (venue->events >= PACE_MEMORY) {
            venue->events /= 2;
            venue->messages /= 2;
        }
    }
    reports_book(venue, &out);
}

/* A market that nobody drove for a while, or that stands still by configuration, does not catch up. */
static void market_resume(venue_t *venue, int64_t ts_ns)
{
    flow_t *flow = flow_of(venue);
    if (venue->cfg.rate == 0) {
        flow_resume(flow, ts_ns + NS_PER_S);
    } else if (flow_due_ns(flow) < ts_ns - STOOD_NS) {
        flow_resume(flow, ts_ns);
    }
}

err_t venue_snapshot(venue_t *venue, uint32_t instrument_id, venue_md_t md, void *ctx)
{
    if (!venue_generated(venue) || venue_listed(venue, instrument_id) == NULL) {
        return err_set(ERR_NOT_FOUND, "venue: no book of instrument %u to be had", instrument_id);
    }
    touch_begin(venue);
    const err_t err = flow_snapshot(flow_of(venue), instrument_id - 1);
    assert(err == ERR_OK);
    flow_tell(venue, md, ctx);
    touch_end(venue);
    return ERR_OK;
}

err_t venue_instrument(venue_t *venue, const instrument_t *ins)
{
    if (venue_generated(venue)) {
        return err_set(ERR_ARG, "venue: instrument %s, but its market is a generated one", ins->symbol);
    }
    const instrument_t *old = venue_listed(venue, ins->def.instrument_id);
    if (old != NULL && strcmp(old->symbol, ins->symbol) == 0 && old->def.venue_id == ins->def.venue_id) {
        return ERR_OK;
    }
    touch_begin(venue);
    const err_t err = sim_venue_instrument(recorded_of(venue), ins, &venue->cfg.fee);
    touch_end(venue);
    return err;
}

err_t venue_market(venue_t *venue, const msg_t *msg, int64_t ts_ns)
{
    assert(!venue_generated(venue) && ts_ns >= venue->now_ns);
    exec_out_t out = scratch_of(venue);
    touch_begin(venue);
    venue->now_ns   = ts_ns;
    const err_t err = sim_venue_market(recorded_of(venue), msg, ts_ns, &out);
    assert(err != ERR_FULL);
    if (err == ERR_OK && msg->type == MSG_BOOK_UPDATE) {
        const book_update_t *upd = msg->body;
        venue->part_ns           = (upd->flags & BOOK_FLAG_LAST) != 0 ? 0 : ts_ns;
    }
    reports_book(venue, &out);
    touch_end(venue);
    return err;
}

void venue_market_lost(venue_t *venue, int64_t ts_ns)
{
    for (uint32_t id = 1; id <= VENUE_INSTRUMENTS_MAX; id++) {
        const feed_state_t state = {
            .instrument_id = id, .health = FEED_BROKEN, .reason = FEED_REASON_LOST, .ts_recv_ns = ts_ns};
        const msg_t msg = {.type = MSG_FEED_STATE, .body = &state};
        if (venue_listed(venue, id) != NULL) {
            venue_market(venue, &msg, ts_ns);
        }
    }
}

/* ---- time --------------------------------------------------------------------------------------------------------- */

int64_t venue_due_ns(const venue_t *venue, bool market)
{
    if (market) {
        return venue_generated(venue) && venue->cfg.rate ? flow_due_ns(PART_CONST(venue, flow_t, market_at))
                                                         : INT64_MAX;
    }
    int64_t due = delay_due_ns(PART_CONST(venue, delay_t, delay_at));
    if (venue->question_count) {
        due = min_i64(due, PART_CONST(venue, question_t, question_at)[venue->question_head].due_ns);
    }
    if (venue->home_count) {
        due = min_i64(due, PART_CONST(venue, home_item_t, home_at)[venue->home_head].due_ns);
    }
    return due;
}

uint32_t venue_run(venue_t *venue, int64_t ts_ns, uint32_t max, venue_md_t md, void *ctx)
{
    uint32_t count   = 0;
    bool     blocked = false; /* no room for the answer to the oldest question */
    assert(ts_ns >= venue->now_ns);
    touch_begin(venue);
    if (venue_generated(venue)) {
        market_resume(venue, ts_ns);
    }
    /* in the middle of a book message there is no book to trade against; its rest is a moment away, unless it never comes */
    const bool wait = venue->part_ns != 0 && ts_ns - venue->part_ns < PART_NS;
    for (; count < max; count++) {
        const question_t *ask      = question_first(venue);
        const int64_t     request  = wait ? INT64_MAX : delay_due_ns(delay_of(venue));
        const int64_t     question = wait || blocked || ask == NULL ? INT64_MAX : ask->due_ns;
        const int64_t     market   = venue_due_ns(venue, true);
        const int64_t     due      = min_i64(min_i64(request, question), market);
        if (due > ts_ns) {
            break;
        }
        venue->now_ns = max_i64(venue->now_ns, due);
        if (request == due) {
            request_run(venue, md, ctx);
        } else if (market == due) {
            market_step(venue, md, ctx);
        } else {
            blocked = !question_answer(venue, md, ctx);
        }
    }
    venue->now_ns = count < max ? max_i64(venue->now_ns, ts_ns) : venue->now_ns;
    touch_end(venue);
    return count;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

int64_t venue_position(const venue_t *venue, uint32_t account_id, uint32_t instrument_id)
{
    assert(account_id >= 1 && account_id <= VENUE_ACCOUNTS_MAX && instrument_id >= 1 &&
           instrument_id <= VENUE_INSTRUMENTS_MAX);
    return venue->position[account_id - 1][instrument_id - 1];
}

uint32_t venue_open_orders(const venue_t *venue)
{
    return orders_of(venue)->open_count;
}

uint64_t venue_executions(const venue_t *venue)
{
    return venue->log_count;
}

uint64_t venue_session(const venue_t *venue)
{
    return venue->session;
}

_Static_assert(sizeof(order_status_req_t) >= sizeof(mass_status_req_t) &&
                   sizeof(order_status_req_t) >= sizeof(mass_cancel_t),
               "the union of a question");
_Static_assert(sizeof(exec_report_t) >= sizeof(mass_status_t), "the union of an item on the line home");
_Static_assert(sizeof(venue_cfg_t) % 8 == 0, "compared as bytes");
