/* engine_private: the arena of the engine and what its files call of each other.
 *
 *   head | instruments | accounts | account x venue | account x instrument | symbols, marks | orders | risk | portfolio | strategies |
 *   books | books of single orders
 *
 *   engine.c          layout, market data, reports, time: the inputs, and engine_apply
 *   engine_due.c      what is due: the wheel of instruments, marks of the few that need something
 *   engine_money.c    marks, loss limits, fills, days
 *   engine_act.c      requests (the one way to a venue), strategies
 *   engine_cancel.c   kills, mass cancels, lanes that closed: cancels of many orders
 *   engine_flatten.c  positions that the engine closes
 *   engine_held.c     orders with terms: how they leave, how they end
 *   engine_list.c     lists of them
 *   engine_held_input.c  what comes in for them: requests, prices, sessions, time
 *   engine_lane.c     lanes: who may send requests, what becomes of their orders, the risk question
 *   engine_recover.c  lives, set-up records, reconciliation with venues, questions
 *   engine_view.c     reading and hashes */
#pragma once

#include <assert.h>
#include <string.h>

#include "core/book/statistics.h"
#include "core/engine/engine.h"
#include "core/engine/engine_view.h"
#include "core/order/algo.h"
#include "core/order/held.h"
#include "core/ref/capability.h"
#include "core/types/hash.h"
#include "core/types/ids.h"

#define ORIGIN_ENGINE 0u      /* of ClOrdIDs that the engine mints for itself */
#define ASK_AGAIN_NS NS_PER_S /* an order that is UNKNOWN, a FAILED mass status, a snapshot */
#define DUE_SLOTS 256u        /* of the wheel: stale_ns and ASK_AGAIN_NS lie within one turn */
#define DUE_NEVER INT64_MAX
#define DUE_MAX 512u /* books that turn stale, or are asked about again, at a time */
#define JUDGE_MAX                                                                                                      \
    64u /* accounts that each TICK holds against their loss limits, in turn, beside those that it has to */
_Static_assert(ENGINE_STRATEGIES_MAX <= 64, "a bit each in ins_state_t.sees");

typedef struct
    ins_state { /* what the engine keeps of an instrument beside its book; what every book message needs first */
    _Alignas(64) int64_t mark_bid; /* best prices of the last mark */
    int64_t      mark_ask;
    int64_t      book_event_ns, book_recv_ns; /* of the last complete message of the book */
    int64_t      last_mono_ns;
    int64_t      due_ns; /* when it is looked at, at the latest; DUE_NEVER = it is in no list */
    uint64_t     sees;   /* bit slot: that strategy sees it, act_sees */
    uint8_t      marked;
    uint8_t      health; /* as last told to strategies */
    uint8_t      has_last;
    uint8_t      asked; /* a snapshot was asked for, ever */
    uint8_t      ask;   /* a question for a snapshot is due */
    uint8_t      feed;  /* view_kind_t of its first book message; VIEW_NONE before */
    uint16_t     reserved;
    top_t        quote;
    int64_t      quote_mono_ns;
    trade_t      last; /* trade_id 0 and px 0 before the first */
    instrument_t ins;
    int64_t      asked_mono_ns;      /* when a snapshot was asked for last; before that, when it was defined */
    int64_t      due_slot;           /* of the wheel */
    uint32_t     due_prev, due_next; /* of the wheel's list (engine_due.c); 0 = none */
    uint32_t     l3;                 /* VIEW_L3: which of the books of single orders */
    uint32_t     reserved2;
    statistics_t day;
    int64_t      volume_mean; /* of a day, over about the last volume_days; 0 = not known */
    int64_t      volume_days;
} ins_state_t;

typedef struct held_phase { /* of trading, for auctions */
    uint8_t session;        /* session_t, as CONTROL said last; NONE = never */
    uint8_t opened;         /* 1: it was OPEN since it was last CLOSED: an auction now is the closing one */
    uint8_t reserved[6];
} held_phase_t;

typedef struct held_market { /* what held orders need of an instrument beside its book */
    algo_curve_t curve;
    held_phase_t phase;
} held_market_t;

typedef struct held_venue {
    held_phase_t phase;
} held_venue_t;

enum {                              /* why an account is unreconciled (152) */
       UNRECONCILED_UNBOOKED   = 1, /* a fill could not be booked as money: for good */
       UNRECONCILED_ALIEN      = 2, /* an order of nobody may be working */
       UNRECONCILED_NAMED      = 4, /* CONTROL said so */
       UNRECONCILED_DIFFERENCE = 8, /* a venue counts another position: until it counts the same */
       UNRECONCILED_LOST       = 16 /* an order that the venue had is not found there: until something is heard of it */
};

typedef struct account_state {
    uint64_t ccy;
    uint32_t waiting; /* its orders that order_waits, of the last count */
    uint32_t lost;    /* of these, orders that the venue had and twice in a row did not find */
    int8_t   money_exp;
    uint8_t  open;
    uint8_t  recovering;   /* 151 of a new life or a reconciliation: lifted by its end */
    uint8_t  held;         /* 151 of CONTROL: lifted by CONTROL */
    uint8_t  unreconciled; /* UNRECONCILED_* */
    uint8_t  fx_missing;   /* told: a currency of it has no rate, or an old one */
    uint8_t  fee_missing;  /* told: fees are to be paid in a currency that has no rate */
    uint8_t  reserved;
} account_state_t;

typedef enum recon_state {
    RECON_NONE = 0, /* not asked in this life, or the link fell */
    RECON_DUE,      /* to be asked */
    RECON_ASKED,
    RECON_FAILED, /* to be asked again in a while */
    RECON_DONE
} recon_state_t;

typedef struct recon {    /* of an account and a venue */
    uint64_t request_id;  /* of the question asked last */
    int64_t  newest_ns;   /* newest execution heard of, venue's clock */
    int64_t  since_ns;    /* fills from here on may be missing; moves only when an answer was complete */
    int64_t  mono_ns;     /* when it was asked, or FAILED came */
    uint32_t stranger_id; /* named with a position, and no instrument of that venue */
    uint8_t  state;       /* recon_state_t */
    uint8_t  differs;     /* at its last END */
    uint8_t  stranger;
    uint8_t  reserved;
    int64_t  stranger_qty;
} recon_t;

typedef struct venue_position { /* of an account and an instrument, as the venue said */
    uint64_t request_id;
    int64_t  qty;
} venue_position_t;

_Static_assert(sizeof(account_state_t) == 24 && sizeof(recon_t) == 48 && sizeof(venue_position_t) == 16,
               "no padding: hashed as bytes");

typedef struct strategy_slot { /* state follows at state_off */
    char           name[32];
    strategy_cfg_t cfg;
    uint64_t       state_off;
    uint64_t       minted; /* sequence of the last ClOrdID */
    uint32_t       state_bytes;
    uint32_t       reserved;
} strategy_slot_t;

typedef struct lane_slot { /* by lane_id - 1 */
    lane_t   lane;         /* of the newest lease: state NONE before the first; epoch and first_seq 0 */
    uint64_t sweep_mark;   /* orders of its strategy with ids up to this risk_seen() are being cancelled; 0 = none */
} lane_slot_t;

_Static_assert(sizeof(lane_slot_t) == 64, "no padding: hashed as bytes");

#define ENGINE_MASS_MAX (ORDER_WALKS_MAX - 1) /* MASS_CANCELs under way: walk 0 is that of kills and lanes */
#define ENGINE_REPLACES_MAX 64u               /* REPLACEs under way at venues that have none */

typedef struct flatten { /* a scope whose positions the engine closes */
    control_t scope;
    int64_t   due_mono_ns;
} flatten_t;

typedef struct act_state {                       /* of engine_act.c, engine_cancel.c, engine_flatten.c */
    venue_def_t   venues[RISK_VENUES_MAX + 1];   /* by id; venue_id 0 = it has said nothing */
    mass_cancel_t masses[ENGINE_MASS_MAX];       /* request_id 0 = free; walk i + 1 */
    order_req_t   replaces[ENGINE_REPLACES_MAX]; /* each waits for its orig_cl_ord_id to be dead */
    flatten_t     flattens[ENGINE_KILLS_MAX];
    uint64_t      kills_open;   /* bit i: orders in the scope of kills[i] may be open */
    uint64_t      kills_left;   /* bit i: the walk under way has found one */
    int64_t       walk_mono_ns; /* when walk 0 began last */
    int64_t       told_mono_ns; /* when kills were reported last */
    uint32_t      lanes_left;   /* bit lane_id - 1: the walk under way has found an order of it */
    uint32_t      mass_count;
    uint32_t      replace_count;
    uint32_t      flatten_count;
    uint32_t      stp_mode; /* risk_stp_mode_t */
    uint8_t       walking;
    uint8_t       walk_anew; /* a kill came, or a lane closed: walk 0 begins again */
    uint8_t       reserved[10];
} act_state_t;

_Static_assert(sizeof(act_state_t) == 24 * (RISK_VENUES_MAX + 1) + 32 * ENGINE_MASS_MAX + 80 * ENGINE_REPLACES_MAX +
                                          24 * ENGINE_KILLS_MAX + 64,
               "no padding: hashed as bytes");

#define LIMIT_SETS_MAX 64u /* fields of one change */

typedef struct limit_stage {      /* of engine_limits.c: the change that a lane has begun */
    uint64_t           change_id; /* 0 = none */
    uint64_t           newest;    /* the last one that it began */
    uint64_t           lease;     /* of the lane, then */
    int64_t            mono_ns;
    uint32_t           count;
    uint32_t           refused; /* change_id was: nothing of it comes into force */
    risk_limit_value_t values[LIMIT_SETS_MAX];
} limit_stage_t;

_Static_assert(sizeof(limit_stage_t) == 40 + LIMIT_SETS_MAX * 24, "no padding: hashed as bytes");

typedef struct engine_state { /* head of the arena */
    uint64_t        magic;
    uint64_t        bytes;
    uint32_t        core_version, tenant_id;
    uint32_t        instruments_max, instrument_count;
    uint32_t        accounts_max, account_count;
    uint32_t        venues_max, strategy_count;
    uint32_t        lanes_max;
    uint32_t        lanes_swept; /* lanes that have a sweep_mark */
    uint32_t        kill_count;
    uint8_t         queries_due;  /* something may be to be asked now */
    uint8_t         queries_held; /* something waits for room: looked at again with each TICK */
    uint8_t         orders_wait;  /* some open order may be order_waits() */
    uint8_t         reserved;
    boot_t          boot;          /* its epoch is that of ClOrdIDs */
    uint8_t         accounts_wait; /* some account may be recovering, or have orders that wait */
    uint8_t         due_left;      /* some instrument that was due with the last TICK may not have had its turn */
    uint8_t         reserved3[2];
    uint32_t        recons_due;    /* of RECON_DUE */
    uint64_t        venues_linked; /* bit venue: its link was up, ever; bit 0 stands for those from 64 on */
    int64_t         recons_ns;     /* no answer of a venue is old enough to be asked for again before */
    int64_t         stale_ns;
    int64_t         day; /* UTC, since the epoch: of statistics */
    int64_t         trading_day;
    int64_t         day_offset_ns; /* the trading day is that of a clock so far east of UTC */
    int64_t         day_from_ns;   /* both days are the same from here, UTC, */
    int64_t         day_until_ns;  /* and until here */
    uint64_t        seq;
    uint64_t        output_hash;
    uint64_t        minted;   /* ClOrdIDs of the engine itself */
    uint64_t        requests; /* request_ids of MASS_STATUS_REQUEST */
    book_cfg_t      book_cfg;
    uint64_t        ins_off, account_off, recon_off, venue_position_off, order_off, risk_off, portfolio_off, book_off;
    uint64_t        symbol_off, due_off, ask_off, wait_off, judge_off, held_off;
    uint32_t        symbol_slots; /* a power of two */
    uint32_t        held_words;   /* of an account */
    int64_t         due_width_ns;
    int64_t         due_slot; /* every earlier one has been looked at */
    uint32_t        judge_at; /* the account that is next in turn, less 1 */
    uint32_t        judge_reserved;
    uint32_t        due_head[DUE_SLOTS];
    uint64_t        book_bytes;
    uint64_t        l3_off, l3_bytes;
    mbo_cfg_t       mbo_cfg;
    uint32_t        mbo_books, mbo_used;
    uint64_t        held_orders_off, held_markets_off, held_venues_off;
    uint64_t        audits;        /* ever: the newest audit_seq */
    uint64_t        alerts_raised; /* ever: the newest alert_id */
    uint64_t        alerts_lost;   /* open ones that others took the place of */
    uint32_t        alert_count, alert_reserved;
    alert_t         alerts[ENGINE_ALERTS_MAX];
    act_state_t     act;
    limit_stage_t   stages[ENGINE_LANES_MAX + 1]; /* by lane_id; 0: the configuration */
    control_t       kills[ENGINE_KILLS_MAX];
    lane_slot_t     lanes[ENGINE_LANES_MAX];
    strategy_slot_t strategies[ENGINE_STRATEGIES_MAX];
} engine_state_t;

struct engine { /* the local handle: pointers into the arena, and what lives during one call */
    engine_state_t       *s;
    ins_state_t          *ins; /* by id, from 1 */
    account_state_t      *accounts;
    recon_t              *recons;
    venue_position_t     *venue_positions;
    order_table_t        *orders;
    risk_t               *risk;
    portfolio_t          *portfolio;
    uint32_t             *symbols; /* ids by hash of venue and symbol, open addressing; 0 = none */
    uint64_t             *due;     /* marks of instruments, by id: due with the last TICK, and not looked at yet */
    uint64_t             *ask;     /* of instruments, by id: ins_state_t.ask */
    uint64_t             *wait;    /* of orders, by row: order_waits() */
    uint64_t             *judge;   /* of accounts, by id: judged with each TICK */
    uint64_t             *held;    /* of each account its instruments, by id: here or at the venue not flat */
    const strategy_ops_t *ops[ENGINE_STRATEGIES_MAX];
    uint64_t              on_book, on_trade, on_feed; /* bit slot: that strategy has the callback */
    engine_out_t         *out;
    now_t                 now;
    int64_t               cause_utc_ns;  /* when what this input tells was received: ts_recv_ns, 0 = it does not say */
    uint32_t              actions;       /* of the callback that runs */
    uint32_t              input_actions; /* of all callbacks of this input */
    held_table_t         *held_orders;
    held_market_t        *held_markets; /* by instrument */
    held_venue_t         *held_venues;  /* by venue      */
    bool                  held_told;    /* an output of this input is for a strategy: a report of a held order */
};

static inline book_t *book_of(const engine_t *e, uint32_t id)
{
    return (book_t *)(void *)((char *)e->s + e->s->book_off + e->s->book_bytes * (id - 1));
}

static inline l3_t *l3_of(const engine_t *e, uint32_t id)
{
    return (l3_t *)(void *)((char *)e->s + e->s->l3_off + e->s->l3_bytes * e->ins[id].l3);
}

static inline view_t market_of(const engine_t *e, uint32_t id)
{
    return e->ins[id].feed == VIEW_L3 ? view_of_l3(l3_of(e, id)) : view_of_book(book_of(e, id));
}

static inline ins_state_t *ins_of(const engine_t *e, uint32_t id)
{
    return id >= 1 && id <= e->s->instrument_count ? &e->ins[id] : NULL;
}

static inline uint32_t venue_of(const engine_t *e, uint32_t instrument_id)
{
    return e->ins[instrument_id].ins.def.venue_id;
}

static inline recon_t *recon_of(const engine_t *e, uint32_t account_id, uint32_t venue_id)
{
    return &e->recons[(uint64_t)account_id * (e->s->venues_max + 1) + venue_id];
}

static inline venue_position_t *venue_position_of(const engine_t *e, uint32_t account_id, uint32_t instrument_id)
{
    return &e->venue_positions[(uint64_t)account_id * (e->s->instruments_max + 1) + instrument_id];
}

static inline void *state_of(const engine_t *e, uint32_t slot)
{
    return (char *)e->s + e->s->strategies[slot].state_off;
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */
/* emit: a body of this type, of which it has the size. Copy and hash are of a length that the compiler knows. */
#define emit(e, type, body) emit_sized((e), (type), (body), sizeof *(body))
static inline __attribute__((always_inline)) void emit_sized(engine_t *e, msg_type_t type, const void *body, size_t len)
{
    engine_out_t *out = e->out;
#ifdef DCHECK
    assert(len == msg_body_size(type));
#endif
    assert(out->len + sizeof(out_rec_t) + len <= out->cap);
    out_rec_t *rec = (out_rec_t *)(void *)(out->buf + out->len);
    *rec           = (out_rec_t){.type = (uint16_t)type, .len = (uint32_t)len};
    memcpy(rec + 1, body, len);
    e->s->output_hash = hash_words(e->s->output_hash ^ ((uint64_t)type << 32 | len), body, len / sizeof(uint64_t));
    out->len += (uint32_t)(sizeof *rec + len);
}

void alert_raise(engine_t *e, const alarm_t *alarm); /* engine_alert.c */

static inline void emit_alarm(engine_t *e, alarm_t alarm)
{
    alarm.engine_utc_ns = e->now.utc_ns;
    emit(e, MSG_ALARM, &alarm);
    alert_raise(e, &alarm);
}

/* ---- engine.c ---------------------------------------------------------------------------------------------------- */
/* best_view: best prices of book or quote stream, whichever is newer; true when the book is LIVE. market_view: the same
 * for risk. order_view: and what only orders are judged by, the depth inside the collar where 203 looks at it. */
bool engine_best_view(const engine_t *e, now_t now, uint32_t id, top_t *out, int64_t *mono_ns);
void engine_market_view(const engine_t *e, now_t now, uint32_t id, risk_md_t *md);
void engine_order_view(const engine_t *e, now_t now, uint32_t id, risk_md_t *md);

/* engine_control: CONTROL, of whomever. ERR_ARG, ERR_STATE and a sentence: nothing is changed. */
err_t engine_control(engine_t *e, const control_t *control);

/* engine_symbol_slot: where the id of the instrument of this venue and symbol stands, or would. */
uint32_t *engine_symbol_slot(const engine_t *e, uint16_t venue_id, const char *symbol);

/* audit_emit: who changed what; sequence, time and version are filled in here. */
static inline void audit_emit(engine_t *e, audit_t audit)
{
    audit.audit_seq = ++e->s->audits;
    audit.event_seq = e->s->seq;
    audit.utc_ns    = e->now.utc_ns;
    audit.version   = risk_limit_version(e->risk);
    emit(e, MSG_AUDIT, &audit);
}

/* ---- engine_due.c ------------------------------------------------------------------------------------------------ */
/* mark_next: the lowest number from `from` on that is set; end when there is none below it. */
uint32_t           mark_next(const uint64_t *marks, uint32_t from, uint32_t end);
static inline void mark_set(uint64_t *marks, uint32_t number)
{
    marks[number >> 6] |= 1ull << (number & 63);
}
static inline void mark_clear(uint64_t *marks, uint32_t number)
{
    marks[number >> 6] &= ~(1ull << (number & 63));
}
static inline uint64_t *held_of(const engine_t *e, uint32_t account_id)
{
    return e->held + (uint64_t)account_id * e->s->held_words;
}
/* due_watch: this instrument's book moved, or changed its health, or was asked for: O(1). due_turn: mark in e->due the
 * instruments that are due now; who looks at one clears its mark. */
void due_watch(engine_t *e, uint32_t id);
void due_turn(engine_t *e);

/* ---- engine_money.c ---------------------------------------------------------------------------------------------- */
void money_mark(engine_t *e,
                uint32_t  id); /* new best prices of a LIVE book: positions and exposure take their value from them */
void money_judge(engine_t *e, uint32_t account); /* profit and loss against the limits; equity, cash for risk */
void money_fill(engine_t *e, const order_effect_t *effect,
                const exec_report_t *report); /* book what a report did to money */
/* money_day: a new day, of either kind, when one began; money_day_turn: this may be one. */
void               money_day_turn(engine_t *e);
static inline void money_day(engine_t *e)
{
    if (e->now.utc_ns < e->s->day_from_ns || e->now.utc_ns >= e->s->day_until_ns) {
        money_day_turn(e);
    }
}
/* money_hold: an order's part changed from before to after: what it holds of cash. */
void money_hold(engine_t *e, uint32_t account, uint32_t instrument_id, const order_part_t *before,
                const order_part_t *after);
/* FX_RATE, CASH_MOVE, MISC_FEE, FEE_SCHEDULE. An error has a sentence and nothing is changed; ALARM_CASH tells a movement or a
 * fee that was not booked. */
err_t money_rate(engine_t *e, const fx_rate_t *told);
err_t money_move(engine_t *e, const cash_move_t *move);
err_t money_misc_fee(engine_t *e, const misc_fee_t *fee);
err_t money_schedule(engine_t *e, const fee_schedule_t *tier);

/* ---- engine_act.c ------------------------------------------------------------------------------------------------ */
void           act_request(engine_t *e, const order_req_t *req); /* of a lane */
strategy_ctx_t act_context(engine_t *e, uint32_t slot);          /* for one callback of a strategy */
bool           act_sees(const engine_t *e, uint32_t slot, const ins_state_t *ins);
err_t          act_venue_def(engine_t *e, const venue_def_t *def); /* ERR_ARG and a sentence: nothing is changed */
/* act_exec: a report was folded into the order table: a replacement that waited for it leaves. act_tick: orders without an
 * answer, reports of kills, positions that are being closed. */
void act_exec(engine_t *e, const exec_report_t *report, const order_effect_t *effect);
void act_tick(engine_t *e);
/* venue_native: may this NEW go out as it is, with its terms? (core/ref/capability.h) */
bool venue_native(const engine_t *e, uint32_t venue_id, const order_terms_req_t *req);

/* ---- engine_cancel.c --------------------------------------------------------------------------------------------- */
/* act_kill: KILL was taken by risk: cancel what is open in its scope until nothing is (value 0: no longer). act_mass_cancel:
 * answered by one VERDICT; ERR_ARG, ERR_NOT_FOUND and a sentence for a scope that is none. act_sweep: cancels of kills, of
 * lanes that closed and of mass cancels, a portion with each input; cancel_due says whether there is anything to do.
 * act_cancel: the engine's own CANCEL of one order. cancel_tick: reports of kills. */
void  act_kill(engine_t *e, const control_t *given);
err_t act_mass_cancel(engine_t *e, const mass_cancel_t *req);
void  act_sweep(engine_t *e);
void  act_cancel(engine_t *e, const order_t *order);
void  cancel_tick(engine_t *e);
/* cancel_scope: the scope of a KILL or FLATTEN as a mass cancel says it. */
mass_cancel_t cancel_scope(const control_t *control);

static inline bool cancel_due(const engine_t *e)
{
    return (e->s->act.kills_open | e->s->lanes_swept | e->s->act.mass_count) != 0;
}

/* ---- engine_flatten.c -------------------------------------------------------------------------------------------- */
/* act_flatten: CONTROL_FLATTEN, value 1 begins, 0 ends it. flatten_tick: what is not flat yet, once a second. */
err_t act_flatten(engine_t *e, const control_t *given);
void  flatten_tick(engine_t *e);

/* ---- engine_limits.c --------------------------------------------------------------------------------------------- */
/* limit_input: LIMIT_CHANGE. operate_input: OPERATE. Each tells AUDITs; an error has a sentence, and nothing is changed.
 * limit_budget: VENUE_BUDGET. limit_news: what the gate did by itself becomes alarms and kills; after each input.
 * limit_tick: overrides whose time is over. */
err_t limit_input(engine_t *e, const limit_change_t *change);
err_t operate_input(engine_t *e, const operate_t *op);
err_t limit_budget(engine_t *e, const venue_budget_t *budget);
void  limit_news(engine_t *e);
void  limit_tick(engine_t *e);

/* ---- engine_alert.c ---------------------------------------------------------------------------------------------- */
err_t alert_ack(engine_t        *e,
                const operate_t *op); /* OPERATE of kind ALERT_ACK; ERR_NOT_FOUND: no open alert of that id */

/* ---- engine_held.c ----------------------------------------------------------------------------------------------- */
/* An order with terms that the engine holds or works (core/order/held.h). Its reports are outputs EXEC_REPORT with
 * EXEC_HELD.
 *   held_request     ORDER_TERMS_REQUEST, NEW, REPLACE or CANCEL, whose sender was judged; its one VERDICT is told here.
 *                    Returns its code. A plain order that its venue has no time in force for comes this way as well.
 *   held_input       the message, from a lane: judged, then held_request
 *   held_change      a plain REPLACE or CANCEL: true when its target is a held order, and then all is done and told, with its
 *                    code in *code; false: it is none, the caller goes on
 *   held_find_owner  strategy of a held order, 0 = there is none of this id
 *   held_cancel      cancel held orders in scope (0 = any) with ids up to mark (0 = all), at most *budget of them, which is
 *                    lowered; returns how many in scope are left that are not being cancelled. O(held orders)
 *   held_open_in     how many in scope are not over yet. O(held orders); held_works: does an order work for one of these?
 *   held_exec        a report was folded into the order table: effect
 *   held_market      something that may trigger: a LIVE book or a quote moved, a trade; nothing to do while nothing is
 *                    watched there
 *   held_session     CONTROL SESSION was taken
 *   held_learn       a trade, for the volume curve
 *   held_step        at the end of each input: what is due; reports to strategies */
uint16_t held_request(engine_t *e, const order_terms_req_t *req);
void     held_input(engine_t *e, const order_terms_req_t *req);
bool     held_change(engine_t *e, const order_req_t *req, uint16_t *code);
uint32_t held_find_owner(const engine_t *e, uint64_t cl_ord_id);
uint32_t held_cancel(engine_t *e, const mass_cancel_t *scope, uint64_t mark, uint32_t *budget);
uint32_t held_open_in(const engine_t *e, const mass_cancel_t *scope);
bool     held_works(const engine_t *e, uint64_t cl_ord_id);
void     held_exec(engine_t *e, const order_effect_t *effect);
void     held_market(engine_t *e, uint32_t instrument_id);
void     held_session(engine_t *e, const control_t *control);
void     held_learn(engine_t *e, const trade_t *trade);
void     held_step(engine_t *e);
uint64_t held_state_hash(uint64_t hash, const engine_t *e);

/* Between engine_held.c and engine_held_input.c; row: of the table, any.
 *   held_tell        a report of the row as it stands; code: why, or 0
 *   held_settle      look at it, and do what is missing
 *   held_alarm       about it
 *   held_end         it ends as this, once its orders are dead; held_finish: they are
 *   held_clear       its orders are cancelled and leave again as the terms now say
 *   held_time        it is due
 *   held_triggers    its price is reached now; of TRAILING_* stop_px has followed
 *   held_in_auction, held_session_of, held_tif_known   of the instrument, of the venue */
void      held_tell(engine_t *e, uint32_t row, exec_type_t type, uint16_t code);
void      held_alarm(engine_t *e, const held_t *h, alarm_kind_t kind, uint16_t code, int64_t observed, int64_t limit);
void      held_settle(engine_t *e, uint32_t row);
void      held_end(engine_t *e, uint32_t row, ord_status_t as);
void      held_finish(engine_t *e, uint32_t row, ord_status_t as, uint16_t code);
void      held_clear(engine_t *e, uint32_t row);
void      held_time(engine_t *e, uint32_t row);
bool      held_triggers(engine_t *e, uint32_t row);
bool      held_in_auction(const engine_t *e, uint32_t instrument_id, uint8_t tif);
session_t held_session_of(const engine_t *e, uint32_t instrument_id);
bool      held_tif_known(const engine_t *e, uint32_t instrument_id, uint8_t tif);

/* ---- engine_list.c ----------------------------------------------------------------------------------------------- */
/* Lists of held orders; head: row of the order that the list is named by.
 *   list_free        how much of it may leave at all; list_frees_more: its first order may free more
 *   list_out         is an order of a sibling in a state that nobody knows, or (any) open at all?
 *   list_end_others  its siblings end as CANCELED; list_cancel: it does, by its owner, with those that go with it
 *   list_cut         a child of an OTO whose first order has ended: what that never freed is no part of it
 *   list_look        something happened to one: look at all the others
 *   list_first_ended, list_first_late   the head has ended; its fills have changed since
 *   list_crossed     more of it was filled than one of a list should be
 *   list_denied      an order that was to be one of it was denied. O(orders of the list), each */
int64_t list_free(const engine_t *e, const held_t *h);
bool    list_frees_more(const engine_t *e, const held_t *h);
bool    list_out(const engine_t *e, const held_t *h, bool any);
void    list_end_others(engine_t *e, uint32_t row);
void    list_cancel(engine_t *e, uint32_t row);
void    list_cut(engine_t *e, uint32_t row);
void    list_look(engine_t *e, uint32_t head);
void    list_first_ended(engine_t *e, uint32_t head);
void    list_first_late(engine_t *e, uint32_t head);
bool    list_crossed(const engine_t *e, const held_t *h);
void    list_denied(engine_t *e, uint32_t head, uint16_t code);

/* Of engine_act.c, for engine_held.c.
 *   act_lacks  can the venue not do what the request asks for, and nobody stand in for it (127)?
 *   act_send   the one way to a venue, of every mode. HOLD: asks the gate, tells the VERDICT, sends nothing. RELEASE: tells
 *              no VERDICT when the id's origin is not the engine (its one VERDICT was told when it was held).
 *              ORDER, RELEASE, FLATTEN: passed = order_open and out, as ORDER_REQUEST, or with native (NULL = none) as the
 *              ORDER_TERMS_REQUEST native with px and tif as they leave. OPG and ATC leave as GTC, MARKET too, where the
 *              venue does not know them. *result is the gate's whole answer; 291 in the waiting modes is not acted on here
 *   act_venue  what the venue said that it knows; NULL = it has said nothing */
uint16_t           act_send(engine_t *e, const order_req_t *req, risk_mode_t mode, const order_terms_req_t *native,
                            risk_out_t *result);
bool               act_lacks(const venue_def_t *def, const order_req_t *req);
const venue_def_t *act_venue(const engine_t *e, uint32_t venue_id);

/* ---- engine_lane.c ----------------------------------------------------------------------------------------------- */
typedef struct lane_denial { /* code ACCEPTED: risk is to judge */
    risk_code_t code;
    scope_t     scope_type;
    uint32_t    scope_id;
    int64_t     observed;
    int64_t     limit;
} lane_denial_t;

err_t         lane_input(engine_t *e, const lane_t *given);
void          lane_restart(engine_t *e); /* a new life: leases ended with the old one */
lane_denial_t lane_judge(const engine_t *e, const order_req_t *req);
lane_denial_t lane_asks(const engine_t *e, uint32_t lane_id, uint32_t account_id); /* may it put questions about it? */
/* lane_rights: LANE_RIGHT_* of an open lane; 0 = there is none of this id, or it is not open. */
uint16_t lane_rights(const engine_t *e, uint32_t lane_id);
/* lane_sweeps: is this order one that a closed lane left behind? lane_swept: what a whole walk found no order of is over;
 * left: bit lane_id - 1 of the lanes that it found one of. */
bool lane_sweeps(const engine_t *e, const order_t *order, uint32_t *left);
void lane_swept(engine_t *e, uint32_t left);

/* ---- engine_recover.c -------------------------------------------------------------------------------------------- */
err_t recover_boot(engine_t *e, const boot_t *boot);
err_t recover_account(engine_t *e, const account_def_t *def);
err_t recover_limits(engine_t *e, const limit_set_t *set);
err_t recover_mass_status(engine_t *e, const mass_status_t *status);
void  recover_link(engine_t *e, uint32_t venue_id, bool up);  /* the venue's link was told, and risk took it */
err_t recover_control(engine_t *e, const control_t *control); /* RECOVERING, UNRECONCILED */
void  recover_unreconciled(engine_t *e, uint32_t account_id, uint8_t why);
void  recover_executed(engine_t *e, uint32_t account_id, uint32_t instrument_id, int64_t ts_event_ns);
void  recover_book(engine_t *e, uint32_t instrument_id); /* a book broke */
void  recover_tick(engine_t *e);
void  recover_waits(engine_t *e, uint32_t row); /* the state of this order may not be known */
void  recover_ask(engine_t *e);                 /* questions that are due, a portion */
