/* engine_private: the arena of the engine and what its files call of each other.
 *
 *   head | instruments | accounts | account x venue | account x instrument | orders | risk | portfolio | strategies |
 *   books | books of single orders
 *
 *   engine.c          layout, market data, reports, time: the inputs, and engine_apply
 *   engine_money.c    marks, loss limits, fills, days
 *   engine_act.c      requests (the one way to a venue), strategies, kill
 *   engine_lane.c     lanes: who may send requests, what becomes of their orders, the risk question
 *   engine_recover.c  lives, set-up records, reconciliation with venues, questions
 *   engine_view.c     reading and hashes */
#pragma once

#include <assert.h>
#include <string.h>

#include "core/book/statistics.h"
#include "core/engine/engine.h"
#include "core/engine/engine_view.h"
#include "core/types/hash.h"
#include "core/types/ids.h"

#define ORIGIN_ENGINE 0u /* of ClOrdIDs that the engine mints for itself */

typedef struct ins_state { /* what the engine keeps of an instrument beside its book */
    instrument_t ins;
    trade_t      last; /* trade_id 0 and px 0 before the first */
    top_t        quote;
    int64_t      last_mono_ns;
    int64_t      quote_mono_ns;
    int64_t      mark_bid, mark_ask;          /* best prices of the last mark */
    int64_t      book_event_ns, book_recv_ns; /* of the last complete message of the book */
    int64_t      asked_mono_ns;               /* when a snapshot was asked for last; before that, when it was defined */
    uint8_t      marked;
    uint8_t      health; /* as last told to strategies */
    uint8_t      has_last;
    uint8_t      asked; /* a snapshot was asked for, ever */
    uint8_t      ask;   /* a question for a snapshot is due */
    uint8_t      feed;  /* view_kind_t of its first book message; VIEW_NONE before */
    uint16_t     reserved;
    uint32_t     l3; /* VIEW_L3: which of the books of single orders */
    uint32_t     reserved2;
    statistics_t day;
} ins_state_t;

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
    uint8_t  reserved[3];
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
    boot_t          boot; /* its epoch is that of ClOrdIDs */
    int64_t         stale_ns;
    int64_t         day; /* UTC, since the epoch */
    uint64_t        seq;
    uint64_t        output_hash;
    uint64_t        minted;   /* ClOrdIDs of the engine itself */
    uint64_t        requests; /* request_ids of MASS_STATUS_REQUEST */
    book_cfg_t      book_cfg;
    uint64_t        ins_off, account_off, recon_off, venue_position_off, order_off, risk_off, portfolio_off, book_off;
    uint64_t        book_bytes;
    uint64_t        l3_off, l3_bytes;
    mbo_cfg_t       mbo_cfg;
    uint32_t        mbo_books, mbo_used;
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
    const strategy_ops_t *ops[ENGINE_STRATEGIES_MAX];
    engine_out_t         *out;
    now_t                 now;
    int64_t               cause_utc_ns;  /* when what this input tells was received: ts_recv_ns, 0 = it does not say */
    uint32_t              actions;       /* of the callback that runs */
    uint32_t              input_actions; /* of all callbacks of this input */
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
static inline void emit(engine_t *e, msg_type_t type, const void *body)
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

static inline void emit_alarm(engine_t *e, alarm_t alarm)
{
    alarm.engine_utc_ns = e->now.utc_ns;
    emit(e, MSG_ALARM, &alarm);
}

/* ---- engine.c ---------------------------------------------------------------------------------------------------- */
/* best_view: best prices of book or quote stream, whichever is newer; true when the book is LIVE. market_view: the same
 * for risk. */
bool engine_best_view(const engine_t *e, now_t now, uint32_t id, top_t *out, int64_t *mono_ns);
void engine_market_view(const engine_t *e, now_t now, uint32_t id, risk_md_t *md);

/* ---- engine_money.c ---------------------------------------------------------------------------------------------- */
void money_mark(engine_t *e,
                uint32_t  id); /* new best prices of a LIVE book: positions and exposure take their value from them */
void money_judge(engine_t *e, uint32_t account);            /* profit and loss against the limits */
void money_fill(engine_t *e, const order_effect_t *effect); /* book what a report did to money */
void money_day(engine_t *e);                                /* a new trading day, when one began */

/* ---- engine_act.c ------------------------------------------------------------------------------------------------ */
void           act_request(engine_t *e, const order_req_t *req); /* of a lane */
strategy_ctx_t act_context(engine_t *e, uint32_t slot);          /* for one callback of a strategy */
bool           act_sees(const engine_t *e, uint32_t slot, const ins_state_t *ins);
void           act_kill(engine_t *e, const control_t *given);
void           act_sweep(engine_t *e); /* cancels of kills and of lanes that closed, a portion */

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
void  recover_ask(engine_t *e); /* questions that are due, a portion */
