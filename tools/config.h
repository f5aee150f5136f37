/* config: settings of hwal from YAML, environment and built-in defaults, checked as a whole before anything starts.
 *
 *   defaults  <  file (--config)  <  HWAL_<SECTION>_<KEY> in the environment  <  command line
 *
 * Two files: the run's settings (`hwal config show` prints them all) and configs/instruments.yaml, the instruments that
 * a capture does not describe by itself. An unknown key, a bad value or a number out of its range is an error that
 * names file, line, key and limit; nothing starts then. Numbers are plain decimal text ("0.25"), read exactly: 1.5 or
 * 0x10 is no whole number. The environment has the sections engine, venue and market, and HWAL_INSTANCE; a variable of
 * one of these sections that is no setting is an error too.
 *
 * Owner    the caller; config_free gives it back. Texts of the environment stay in the environment. Cold: allocates
 *          (libcyaml). One thread.
 * Limits   64 accounts, 64 limit sets, CONFIG_STRATEGIES_MAX strategies, CONFIG_INSTRUMENTS_MAX instruments; a text has
 *          64 bytes, a strategy 512. */
#pragma once

#include "core/ref/instrument.h"
#include "core/types/err.h"

#define CONFIG_STRATEGIES_MAX 16u
#define CONFIG_INSTRUMENTS_MAX 10000u

typedef struct config_account {
    char *currency;
    char *initial; /* decimal, at most 4 places */
} config_account_t;

typedef struct config_risk { /* one limit set a currency; amounts in it, decimal text */
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
} config_risk_t;

typedef struct config_venue { /* the simulated venue */
    int64_t     place_us;     /* latency from our decision to the venue, on the clock of the feed */
    int64_t     cancel_us;
    int64_t     report_us;
    const char *maker_fee_bps; /* decimal; negative = rebate */
    const char *taker_fee_bps;
} config_venue_t;

typedef struct config_market { /* the generated market of `hwal run` */
    int64_t seed;
    int64_t rate;    /* market events a second of market time */
    int64_t seconds; /* of market time */
    int64_t instruments;
} config_market_t;

typedef struct config_engine {
    int64_t epoch;
    int64_t orders_max;
    int64_t book_window_ticks;
    int64_t book_far_levels;
} config_engine_t;

typedef struct config {
    const char       *instance; /* 1 to 32 of letters, digits, - and _ */
    config_engine_t   engine;
    config_account_t *accounts;
    unsigned          accounts_count;
    char            **strategies; /* "name" or "name:key=value,key=value" */
    unsigned          strategies_count;
    config_risk_t    *risk;
    unsigned          risk_count;
    config_venue_t    venue;
    config_market_t   market;
    void             *file; /* what libcyaml allocated; the pointers above lead into it */
} config_t;

typedef struct config_instrument { /* one entry of instruments.yaml */
    char   *venue;
    char   *market; /* spot, usdm, coinm */
    char   *symbol;
    char   *settle;
    int64_t px_exp;
    int64_t qty_exp;
    int64_t money_exp;
    int64_t mult; /* whole units: 1, or 100 for BTCUSD_PERP */
    char   *tick; /* decimals */
    char   *lot;
    char   *min_qty;
    char   *min_notional;
} config_instrument_t;

typedef struct config_instruments {
    config_instrument_t *instruments;
    unsigned             instruments_count;
    void                *file; /* as in config_t */
} config_instruments_t;

/* config_load: file NULL = defaults and environment only. ERR_NOT_FOUND, ERR_IO or ERR_CONFIG: *out is NULL and err_msg
 * says what and where. */
err_t config_load(const char *file, config_t **out);
void  config_free(config_t *config);

/* config_instruments_load: as config_load. Every entry is one that config_instrument takes, none is there twice. */
err_t config_instruments_load(const char *file, config_instruments_t **out);
void  config_instruments_free(config_instruments_t *list);

/* config_path: where a file of configs/ is: below the working directory, else beside the binary's project root.
 * false when in neither place. */
bool config_path(const char *name, char *out, size_t cap);

/* config_instrument: build a definition from an entry. ERR_CONFIG names venue, symbol, field and value. */
err_t config_instrument(const config_instrument_t *entry, uint16_t venue_id, instrument_t *out);

/* config_print: every setting in force with its range and meaning, as YAML that config_load takes, to stdout. */
void config_print(const config_t *config);
