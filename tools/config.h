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
 * Lanes    where no client CONFIG_OPERATOR is written and there is room for one, there is one all the same, last in the
 *          list: the instance's own user, with every right but raise and approve, and on_close keep.
 * Limits   64 accounts, 64 limit sets, CONFIG_STRATEGIES_MAX strategies, CONFIG_INSTRUMENTS_MAX instruments; a text has
 *          64 bytes, a strategy 512. */
#pragma once

#include "core/ref/fee.h"
#include "core/ref/instrument.h"
#include "core/types/err.h"
#include "ipc/settings.h"

#define CONFIG_OPERATOR "operator"

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

/* config_set: one setting by its section ("" = top level) and key, judged as one of the environment is; text is kept, not
 * copied. config_strategies_check: after config->strategies was replaced. */
err_t config_set(config_t *config, const char *section, const char *key, const char *text);
err_t config_strategies_check(const config_t *config);

/* config_instruments_load: as config_load. Every entry is one that config_instrument takes, none is there twice. */
err_t config_instruments_load(const char *file, config_instruments_t **out);
void  config_instruments_free(config_instruments_t *list);

/* config_account_name: what lanes.accounts and risk.account call it: its name, else its currency. */
const char *config_account_name(const config_account_t *account);

/* config_path: where a file of configs/ is: below the working directory, else beside the binary's project root.
 * false when in neither place. */
bool config_path(const char *name, char *out, size_t cap);

/* config_instrument: build a definition from an entry. ERR_CONFIG names venue, symbol, field and value. */
err_t config_instrument(const config_instrument_t *entry, uint16_t venue_id, instrument_t *out);

/* config_fees: what the simulated venue takes, of venue and fees together. ERR_CONFIG with a sentence; a configuration that
 * config_load took has none. */
err_t config_fees(const config_t *config, fee_cfg_t *out);

/* config_print: every setting in force with its range and meaning, as YAML that config_load takes, to stdout. */
void config_print(const config_t *config);

/* config_hash: of everything that an engine is built from and that its journal depends on: engine, accounts, risk,
 * strategies, clients of lanes (their places, names and quotas). Two configurations with the same hash may continue each
 * other's journal. */
uint64_t config_hash(const config_t *config);

/* config_state_dir: the instance's durable directory (journal.dir or its default), without making it. ERR_CONFIG when
 * there is neither a setting nor a home. */
err_t config_state_dir(const config_t *config, char *out, size_t cap);
