/* settings: what an instance is configured with, as every role of it has it: the fields of its YAML file, checked.
 *
 * The types alone: reading, defaults, ranges and meaning are tools/config.h's. Read-only once a role runs; texts belong to
 * the configuration that was loaded. Units stand in the names; amounts are decimal text, exact. */
#pragma once

#include <stdint.h>

#define CONFIG_STRATEGIES_MAX 16u
#define CONFIG_INSTRUMENTS_MAX 10000u
#define CONFIG_LIMITS_MAX 1024u

typedef struct config_account {
    char   *name;      /* "" = its currency */
    char   *currency;  /* its home: limits, equity, profit and loss are said in it */
    char   *initial;   /* decimal, at most 4 places */
    int64_t money_exp; /* decimals that it counts in, live */
    int64_t hedging;   /* 1: long and short side by side */
    int64_t cost;      /* config_cost_t */
    int64_t margin;    /* 1: own funds bound the margin; 0: what is bought must be paid for */
    int64_t fee_schedule;
} config_account_t;

typedef enum config_cost { COST_AVERAGE = 0, COST_FIFO = 1 } config_cost_t;

typedef struct config_fx { /* one unit of currency is rate units of to */
    char *currency;
    char *to;
    char *rate; /* decimal, at most 12 places; "": as instrument says */
    char
        *instrument; /* symbol: its mid is the rate, as soon as it has one; "" = rate stays until a newer one is told */
} config_fx_t;

typedef struct config_schedule { /* one tier of a fee schedule; tiers of one stand in rising order */
    int64_t schedule;
    char   *from; /* value traded in the last 30 days, home currency, whole */
    char   *maker_bps;
    char   *taker_bps;
    char   *tax_buy_bps;
    char   *tax_sell_bps;
    char   *min_fee;
    char   *currency; /* that fees are paid in; "" = the settlement currency */
} config_schedule_t;

typedef struct config_risk { /* one limit set a currency, or an account; amounts in it, decimal text */
    char   *account;         /* name of the account that it is for; "" = all of the currency */
    char   *currency;
    char   *max_order_value;
    char   *max_position_value; /* becomes max_long = max_short of each instrument at its first price */
    char   *max_open_value;
    char   *max_gross;
    char   *max_net;
    char   *max_day_loss;
    char   *max_drawdown;
    int64_t collar_bps;
    int64_t far_bps;
    int64_t max_spread_bps;
    int64_t max_md_age_ms;
    int64_t max_open_orders_instrument;
    int64_t max_open_orders_account;
    int64_t orders_per_s;
    int64_t messages_per_s;
    int64_t concentration_bps;
    int64_t margin_bps;
} config_risk_t;

typedef struct config_venue { /* the simulated venue */
    int64_t     place_us;     /* latency from our decision to the venue, on the clock of the feed */
    int64_t     cancel_us;
    int64_t     report_us;
    const char *maker_fee_bps; /* decimal; negative = rebate */
    const char *taker_fee_bps;
    const char *queue;       /* model of our place among resting orders: core/match/queue.h */
    int64_t     trades_take; /* 1: a recorded trade takes its quantity off what orders of ours may take */
} config_venue_t;

typedef struct config_latency { /* each leg as tools/models.h reads it; "" = the constants of config_venue_t */
    const char *feed;           /* venue to us, beyond what the recording holds */
    const char *place;
    const char *amend;
    const char *cancel;
    const char *ack;
    const char *fill;
    int64_t     seed; /* of what is drawn */
} config_latency_t;

typedef struct config_tier { /* decimals */
    char *from;              /* volume, whole units of the settlement currency */
    char *maker_bps;
    char *taker_bps;
} config_tier_t;

typedef struct config_fees { /* beyond the two rates of config_venue_t; core/ref/fee.h */
    int64_t        window_days;
    const char    *per_contract;
    const char    *min_fill;
    const char    *min_order;
    config_tier_t *tiers;
    unsigned       tiers_count;
} config_fees_t;

typedef struct config_market { /* the generated market of `hwal run` */
    int64_t seed;
    int64_t rate;    /* market events a second of market time */
    int64_t seconds; /* of market time */
    int64_t instruments;
} config_market_t;

typedef struct config_client { /* one that may lease a lane; its place in the list, from 1, is its lane_id */
    char   *name;              /* 1 to LANE_NAME_MAX of letters, digits, - and _ */
    char   *user;              /* who it must run as: a name or a number; "" = the instance's own user */
    int64_t accounts;          /* bit 1 << place in the list of accounts, from 1; never 0 */
    int64_t rights;            /* LANE_RIGHT_*; never 0 */
    int64_t orders_per_s;      /* new orders and replaces */
    int64_t messages_per_s;
    int64_t on_close; /* lane_policy_t: cancel, keep */
} config_client_t;

typedef struct config_lanes {
    int64_t          slots; /* of each of a lane's two rings */
    config_client_t *clients;
    unsigned         clients_count; /* at most ENGINE_LANES_MAX */
} config_lanes_t;

typedef enum config_durability { DURABILITY_PROCESS = 0, DURABILITY_POWER = 1 } config_durability_t;
typedef enum config_wait { WAIT_ADAPTIVE = 0, WAIT_SPIN = 1 } config_wait_t;
typedef enum config_start { START_RESUME = 0, START_NEW = 1 } config_start_t;

typedef struct config_journal {
    const char *dir;        /* "" = $XDG_STATE_HOME/hwal/<instance>, else ~/.local/state/hwal/<instance>          */
    int64_t     max_bytes;  /* of all files; at the end of them orders are denied with 154; an alarm at nine tenths */
    int64_t     file_bytes; /* of one file; a multiple of 4096 */
    int64_t     durability; /* config_durability_t: process, power */
    int64_t     start;      /* config_start_t: resume what is there, or begin anew (the old one is kept as <dir>.old) */
} config_journal_t;

typedef struct config_rings { /* slots, powers of two */
    int64_t md;
    int64_t exec;
    int64_t ord;
    int64_t jrn;
    int64_t ev;
} config_rings_t;

typedef struct config_run { /* of a live instance */
    int64_t wait;           /* config_wait_t of engine and adapters: adaptive, spin */
    int64_t engine_cpu;     /* -1 = not pinned */
    int64_t adapter_cpu;
} config_run_t;

typedef struct config_capture { /* recorded market data instead of the generated market; no files = generated */
    char      **files;
    unsigned    files_count;
    const char *speed; /* decimal: 1 = as recorded, 10 = ten times as fast; 0 = as fast as it goes */
} config_capture_t;

typedef struct config_engine {
    int64_t epoch;
    int64_t instruments_max; /* live */
    int64_t accounts_max;    /* published; at least as many as there are */
    int64_t orders_max;
    int64_t held_max; /* orders that the engine holds or works, and the newest of those that it has done with */
    int64_t book_window_ticks;
    int64_t book_far_levels;
    int64_t mbo_books;
    int64_t mbo_orders;
    int64_t mbo_levels;
    int64_t day_offset_min; /* the the trading day is that of a clock so many minutes east of UTC */
    int64_t stp_mode;       /* risk_stp_mode_t - 1 */
    int64_t answer_ms;      /* an order that waits for its venue's word longer is an alarm; 0 = never */
} config_engine_t;

typedef struct config {
    const char        *instance; /* 1 to 32 of letters, digits, - and _ */
    config_engine_t    engine;
    config_account_t  *accounts;
    unsigned           accounts_count;
    char             **strategies; /* "name" or "name:key=value,key=value" */
    unsigned           strategies_count;
    config_risk_t     *risk;
    unsigned           risk_count;
    char             **limits; /* "SCOPE FIELD=VALUE ...": tools/limit_text.h */
    unsigned           limits_count;
    config_fx_t       *fx;
    unsigned           fx_count;
    config_schedule_t *schedules;
    unsigned           schedules_count;
    config_venue_t     venue;
    config_latency_t   latency;
    config_fees_t      fees;
    config_market_t    market;
    config_journal_t   journal;
    config_rings_t     rings;
    config_run_t       run;
    config_capture_t   capture;
    config_lanes_t     lanes;
    void              *file; /* what libcyaml allocated; the pointers above lead into it */
} config_t;
