#include "tools/config.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapters/venue.h"
#include "core/engine/engine.h"
#include "core/match/queue.h"
#include "core/types/decimal.h"
#include "core/types/hash.h"
#include "core/types/ids.h"
#include "ipc/lane.h"
#include "ipc/records.h"
#include "tools/limit_text.h"
#include "tools/models.h"
#include "tools/strategy_spec.h"
#include "tools/yaml_load.h"

/* ---- one table a section: key, kind, default, range, meaning ---------------------------------------------------- */
typedef enum kind {
    KIND_TEXT,     /* judged elsewhere */
    KIND_NAME,     /* low to high of letters, digits, - and _, not - first */
    KIND_CURRENCY, /* low to high of A-Z and digits */
    KIND_USER,     /* a user's name or number, or "" */
    KIND_WHOLE,    /* an int64_t in the struct; every other kind stays text */
    KIND_POWER,    /* the same, a power of two */
    KIND_PAGES,    /* the same, a multiple of 4096 */
    KIND_WORD,     /* the same, written as one of the words, whose place it is */
    KIND_PATH,     /* absolute, no "." or ".." in it, or "" */
    KIND_QUEUE,    /* a model of core/match/queue.h */
    KIND_LATENCY,  /* of a leg: tools/models.h, or "" */
    KIND_DECIMAL,  /* low to high */
    KIND_AMOUNT    /* above low, at most high */
} kind_t;

typedef struct setting {
    const char *key;
    size_t      offset; /* in the struct of the section */
    kind_t      kind;
    const char *fallback; /* NULL = must be written, "" = may be absent */
    int64_t     low, high;
    unsigned    places; /* of a decimal */
    const char *help;
    const char *words; /* of KIND_WORD: "first second" */
} setting_t;

typedef struct section {
    const char      *name;   /* "" = top level */
    size_t           offset; /* in config_t */
    const setting_t *settings;
    unsigned         count;
} section_t;

#define SETTINGS_MAX 20
#define PATH_TEXT_MAX 200
#define JOURNAL_FILES_MAX 200
#define STRATEGIES_DEFAULT 2u /* when none is written: tools/setup.c */
#define AMOUNT_MAX 900000000000
#define MULT_MAX 1000000000000
#define SET(type, key, kind, fallback, low, high, places, help)                                                        \
    {                                                                                                                  \
#key, offsetof(type, key), kind, fallback, low, high, places, help, NULL                                       \
    }
#define WORD(type, key, fallback, help, words)                                                                         \
    {                                                                                                                  \
#key, offsetof(type, key), KIND_WORD, fallback, 0, 0, 0, help, words                                           \
    }
#define AMOUNT(key, places, help) SET(config_risk_t, key, KIND_AMOUNT, NULL, 0, AMOUNT_MAX, places, help)
#define SECTION(name, offset, settings)                                                                                \
    {                                                                                                                  \
        name, offset, settings, sizeof settings / sizeof settings[0]                                                   \
    }

static const setting_t top_settings[] = {
    SET(config_t, instance, KIND_NAME, "default", 1, 32, 0, "name of the run"),
};
static const setting_t engine_settings[] = {
    SET(config_engine_t, epoch, KIND_WHOLE, "1", 1, 4095, 0,
        "epoch of client order ids; raised at every start of a live engine"),
    SET(config_engine_t, instruments_max, KIND_WHOLE, "64", 1, ENGINE_INSTRUMENTS_MAX, 0,
        "instruments that a live instance has room for; memory is kept for each"),
    SET(config_engine_t, accounts_max, KIND_WHOLE, "16", 1, ENGINE_ACCOUNTS_MAX, 0,
        "accounts that its records have room for"),
    SET(config_engine_t, orders_max, KIND_WHOLE, "65536", 1024, 1 << 24, 0,
        "rows of the order table (open ones and the newest closed ones)"),
    SET(config_engine_t, held_max, KIND_WHOLE, "1024", 16, 1 << 20, 0,
        "orders that the engine holds or works itself: stops, lists, algorithms"),
    SET(config_engine_t, book_window_ticks, KIND_POWER, "8192", 64, 1 << 18, 0,
        "ticks a side near the touch that a book keeps flat"),
    SET(config_engine_t, book_far_levels, KIND_POWER, "8192", 64, 1 << 24, 0,
        "levels a book can keep outside the window"),
    SET(config_engine_t, mbo_books, KIND_WHOLE, "0", 0, 64, 0,
        "instruments that may be fed by single orders (L3) instead of levels; memory is kept for each"),
    SET(config_engine_t, mbo_orders, KIND_WHOLE, "65536", 1, 1 << 24, 0, "orders that stand in one of them at most"),
    SET(config_engine_t, mbo_levels, KIND_WHOLE, "8192", 1, 1 << 20, 0, "price levels of one of them at most"),
    SET(config_engine_t, day_offset_min, KIND_WHOLE, "0", -720, 840, 0,
        "the trading day is that of a clock so many minutes east of UTC"),
    WORD(config_engine_t, stp_mode, "cancel_newest", "what becomes of an order that would meet one of our own",
         "cancel_newest cancel_oldest cancel_both decrement"),
    SET(config_engine_t, answer_ms, KIND_WHOLE, "5000", 0, 3600000, 0,
        "an order that waits for its venue's answer longer is an alarm; 0 = never"),
};
static const setting_t venue_settings[] = {
    SET(config_venue_t, place_us, KIND_WHOLE, "2000", 0, 60000000, 0, "decision to venue, on the feed's clock"),
    SET(config_venue_t, cancel_us, KIND_WHOLE, "2000", 0, 60000000, 0, "the same for cancel and replace"),
    SET(config_venue_t, report_us, KIND_WHOLE, "1000", 0, 60000000, 0, "venue to order state"),
    SET(config_venue_t, maker_fee_bps, KIND_DECIMAL, "2", -1000, 1000, 4, "basis points of value, negative = rebate"),
    SET(config_venue_t, taker_fee_bps, KIND_DECIMAL, "5", -1000, 1000, 4, "the same for the side that takes"),
    SET(config_venue_t, queue, KIND_QUEUE, "risk_averse", 0, 0, 0,
        "recorded market: our place among resting orders: risk_averse, prob_power:N, prob_power2:N, prob_power3:N, "
        "prob_log, prob_log2, optimistic, l3"),
    WORD(config_venue_t, trades_take, "no",
         "recorded market: a trade takes its quantity off what we may take until the book speaks", "no yes"),
};
static const setting_t latency_settings[] = {
    SET(config_latency_t, feed, KIND_LATENCY, "", 0, 0, 0,
        "market data to us, beyond what the recording holds; empty = 0"),
    SET(config_latency_t, place, KIND_LATENCY, "", 0, 0, 0, "new orders; empty = venue.place_us"),
    SET(config_latency_t, amend, KIND_LATENCY, "", 0, 0, 0, "replaces; empty = venue.cancel_us"),
    SET(config_latency_t, cancel, KIND_LATENCY, "", 0, 0, 0, "cancels; empty = venue.cancel_us"),
    SET(config_latency_t, ack, KIND_LATENCY, "", 0, 0, 0, "reports but fills; empty = venue.report_us"),
    SET(config_latency_t, fill, KIND_LATENCY, "", 0, 0, 0, "fills; empty = venue.report_us"),
    SET(config_latency_t, seed, KIND_WHOLE, "1", 0, INT64_MAX, 0, "of what is drawn from histograms"),
};
static const setting_t fees_settings[] = {
    SET(config_fees_t, window_days, KIND_WHOLE, "30", 0, FEE_DAYS_MAX, 0,
        "rolling UTC days whose volume decides the tier; 0 = calendar month"),
    SET(config_fees_t, per_contract, KIND_DECIMAL, "0", 0, 1000000, 8,
        "of the currency, for one whole unit of quantity"),
    SET(config_fees_t, min_fill, KIND_DECIMAL, "0", 0, 1000000, 8, "a fill never costs less; 0 = no minimum"),
    SET(config_fees_t, min_order, KIND_DECIMAL, "0", 0, 1000000, 8, "the fills of an order never cost less"),
};
static const setting_t tier_settings[] = {
    SET(config_tier_t, from, KIND_AMOUNT, NULL, 0, AMOUNT_MAX, 0, "volume of the window, of the currency; rising"),
    SET(config_tier_t, maker_bps, KIND_DECIMAL, NULL, -1000, 1000, 4, "from there on, as venue.maker_fee_bps"),
    SET(config_tier_t, taker_bps, KIND_DECIMAL, NULL, -1000, 1000, 4, "as venue.taker_fee_bps"),
};
static const setting_t market_settings[] = {
    SET(config_market_t, seed, KIND_WHOLE, "42", 0, INT64_MAX, 0, "of the generated market"),
    SET(config_market_t, rate, KIND_WHOLE, "20000", 0, 1000000, 0, "market events a second of market time"),
    SET(config_market_t, seconds, KIND_WHOLE, "20", 1, 86400, 0, "of market time"),
    SET(config_market_t, instruments, KIND_WHOLE, "8", 1, 8, 0, "instruments of the generated market"),
};
static const setting_t journal_settings[] = {
    SET(config_journal_t, dir, KIND_PATH, "", 0, PATH_TEXT_MAX, 0,
        "journal, snapshots, state; empty = ~/.local/state/hwal/<instance>"),
    SET(config_journal_t, max_bytes, KIND_WHOLE, "4294967296", 4 << 20, INT64_C(1) << 50, 0,
        "of all journal files; at their end orders are denied with 154"),
    SET(config_journal_t, file_bytes, KIND_PAGES, "67108864", 1 << 20, INT64_C(1) << 40, 0, "of one file"),
    WORD(config_journal_t, durability, "process", "what an order waits for: the journal's ring, or the disk",
         "process power"),
    WORD(config_journal_t, start, "resume",
         "go on with the journal that is there, or keep it as <dir>.old and begin anew", "resume new"),
};
static const setting_t rings_settings[] = {
    SET(config_rings_t, md, KIND_POWER, "16384", 1024, 1 << 20, 0, "slots of a market data ring"),
    SET(config_rings_t, exec, KIND_POWER, "8192", 1024, 1 << 20, 0, "of execution reports, engine's input"),
    SET(config_rings_t, ord, KIND_POWER, "8192", 8192, 1 << 20, 0, "of requests to an adapter"),
    SET(config_rings_t, jrn, KIND_POWER, "32768", 16384, 1 << 20, 0, "of records on their way to the journal"),
    SET(config_rings_t, ev, KIND_POWER, "16384", 1024, 1 << 20, 0, "of what the engine decided, for everyone"),
};
static const setting_t run_settings[] = {
    WORD(config_run_t, wait, "adaptive", "engine and adapters sleep when idle, or never", "adaptive spin"),
    SET(config_run_t, engine_cpu, KIND_WHOLE, "-1", -1, 1023, 0, "the engine's own; -1 = any"),
    SET(config_run_t, adapter_cpu, KIND_WHOLE, "-1", -1, 1023, 0, "the adapters'; -1 = any"),
};
static const setting_t capture_settings[] = {
    SET(config_capture_t, speed, KIND_DECIMAL, "1", 0, 1000000, 3, "1 = as recorded, 0 = as fast as it goes"),
};
static const setting_t lanes_settings[] = {
    SET(config_lanes_t, slots, KIND_POWER, "1024", LANE_SLOTS_MIN, LANE_SLOTS_MAX, 0, "of each of a lane's two rings"),
};
static const setting_t client_settings[] = {
    SET(config_client_t, name, KIND_NAME, NULL, 1, LANE_NAME_MAX, 0, "each at most once"),
    SET(config_client_t, user, KIND_USER, "", 0, UINT32_MAX - 1, 0,
        "who alone may lease it; empty = the instance's own user"),
    SET(config_client_t, orders_per_s, KIND_WHOLE, "100", 1, 1024, 0, "new orders and replaces"),
    SET(config_client_t, messages_per_s, KIND_WHOLE, "250", 1, 1024, 0, "the same, a budget of its own"),
    WORD(config_client_t, on_close, "cancel",
         "what becomes of its open orders when the lane ends (an orderly stop cancels all)", "cancel keep"),
};
static const setting_t account_settings[] = {
    SET(config_account_t, name, KIND_NAME, "", 1, 16, 0, "each at most once; empty = its currency"),
    SET(config_account_t, currency, KIND_CURRENCY, NULL, 1, 8, 0, "its home: limits, equity, profit and loss"),
    SET(config_account_t, initial, KIND_AMOUNT, NULL, 0, AMOUNT_MAX, 4, "of the currency"),
    SET(config_account_t, money_exp, KIND_WHOLE, "8", 0, 12, 0,
        "decimals that the account counts in: those of its instruments (live; a replay takes the instruments' own)"),
    WORD(config_account_t, hedging, "no", "long and short of one instrument stand side by side, or they net", "no yes"),
    WORD(config_account_t, cost, "average", "of a position: average, or first in, first out", "average fifo"),
    WORD(config_account_t, margin, "yes", "own funds bound the margin; no: what is bought must be paid for", "no yes"),
    SET(config_account_t, fee_schedule, KIND_WHOLE, "0", 0, 65535, 0,
        "of fee_schedules, for fills whose venue does not say the fee; 0 = none"),
};
static const setting_t fx_settings[] = {
    SET(config_fx_t, currency, KIND_CURRENCY, NULL, 1, 8, 0, "one unit of it"),
    SET(config_fx_t, to, KIND_CURRENCY, NULL, 1, 8, 0, "is worth rate of this"),
    SET(config_fx_t, rate, KIND_AMOUNT, "", 0, AMOUNT_MAX, 12, "as it is at the start; venues may say newer ones"),
    SET(config_fx_t, instrument, KIND_TEXT, "", 0, 0, 0, "symbol of the instrument whose mid is the rate from then on"),
};
static const setting_t schedule_settings[] = {
    SET(config_schedule_t, schedule, KIND_WHOLE, NULL, 1, 65535, 0, "its number"),
    SET(config_schedule_t, from, KIND_DECIMAL, "0", 0, AMOUNT_MAX, 0,
        "value traded in the last 30 days, home currency; rising, the first of a schedule is 0"),
    SET(config_schedule_t, maker_bps, KIND_DECIMAL, NULL, -1000, 1000, 4, "of value, negative = rebate"),
    SET(config_schedule_t, taker_bps, KIND_DECIMAL, NULL, -1000, 1000, 4, "the same for the side that takes"),
    SET(config_schedule_t, tax_buy_bps, KIND_DECIMAL, "0", 0, 1000, 4, "tax on buys"),
    SET(config_schedule_t, tax_sell_bps, KIND_DECIMAL, "0", 0, 1000, 4, "tax on sells (KRX)"),
    SET(config_schedule_t, min_fee, KIND_DECIMAL, "0", 0, 1000000, 8, "of an execution; 0 = no minimum"),
    SET(config_schedule_t, currency, KIND_CURRENCY, "", 1, 8, 0,
        "that fees are paid in, by the rate of the moment; empty = the settlement currency"),
};
static const setting_t risk_settings[] = {
    SET(config_risk_t, account, KIND_NAME, "", 1, 16, 0, "name of the account; empty = all of the currency"),
    SET(config_risk_t, currency, KIND_CURRENCY, NULL, 1, 8, 0, "each at most once; amounts below are in it"),
    AMOUNT(max_order_value, 8, "of one order"),
    AMOUNT(max_position_value, 8, "of a position in one instrument, long or short, at its first price"),
    AMOUNT(max_open_value, 8, "of all open orders"),
    AMOUNT(max_gross, 8, "sum of positions without sign"),
    AMOUNT(max_net, 8, "sum of positions with sign"),
    AMOUNT(max_day_loss, 8, "since the start of the day"),
    AMOUNT(max_drawdown, 8, "from the highest equity"),
    SET(config_risk_t, collar_bps, KIND_WHOLE, "300", 1, 10000, 0, "of a price through the other side"),
    SET(config_risk_t, far_bps, KIND_WHOLE, "5000", 1, 10000, 0, "of a price away from the market"),
    SET(config_risk_t, max_spread_bps, KIND_WHOLE, "500", 1, 10000, 0, "wider is no market"),
    SET(config_risk_t, max_md_age_ms, KIND_WHOLE, "500", 1, 3600000, 0, "older market data is none"),
    SET(config_risk_t, max_open_orders_instrument, KIND_WHOLE, "50", 1, 10000, 0, "of one instrument"),
    SET(config_risk_t, max_open_orders_account, KIND_WHOLE, "500", 1, 100000, 0, "of the account"),
    SET(config_risk_t, orders_per_s, KIND_WHOLE, "100", 1, 1024, 0, "new orders and replaces"),
    SET(config_risk_t, messages_per_s, KIND_WHOLE, "250", 1, 1024, 0, "the same, a budget of its own"),
    SET(config_risk_t, concentration_bps, KIND_WHOLE, "2500", 1, 10000, 0, "of one instrument, of max_gross"),
    SET(config_risk_t, margin_bps, KIND_WHOLE, "2500", 1, 1000000, 0, "own funds that a position needs, of its value"),
};
static const setting_t instrument_settings[] = {
    SET(config_instrument_t, venue, KIND_TEXT, NULL, 0, 0, 0, ""),
    SET(config_instrument_t, market, KIND_TEXT, NULL, 0, 0, 0, ""),
    SET(config_instrument_t, symbol, KIND_TEXT, NULL, 0, 0, 0, ""),
    SET(config_instrument_t, settle, KIND_CURRENCY, NULL, 1, 8, 0, ""),
    SET(config_instrument_t, px_exp, KIND_WHOLE, NULL, 0, 12, 0, ""),
    SET(config_instrument_t, qty_exp, KIND_WHOLE, NULL, 0, 12, 0, ""),
    SET(config_instrument_t, money_exp, KIND_WHOLE, "8", 0, 12, 0, ""),
    SET(config_instrument_t, mult, KIND_WHOLE, "1", 1, MULT_MAX, 0, ""),
    SET(config_instrument_t, tick, KIND_TEXT, NULL, 0, 0, 0, ""),
    SET(config_instrument_t, lot, KIND_TEXT, NULL, 0, 0, 0, ""),
    SET(config_instrument_t, min_qty, KIND_TEXT, "", 0, 0, 0, ""),
    SET(config_instrument_t, min_notional, KIND_TEXT, "", 0, 0, 0, ""),
};

enum { /* sections that are there once, then lists */
       TOP,
       ENGINE,
       VENUE,
       LATENCY,
       FEES,
       MARKET,
       JOURNAL,
       RINGS,
       RUN,
       CAPTURE,
       LANES,
       SINGLE_COUNT,
       ACCOUNTS = SINGLE_COUNT,
       RISK,
       CLIENTS, /* in lanes */
       TIERS,   /* in fees */
       FX,
       SCHEDULES,
       INSTRUMENTS,
       SECTION_COUNT
};
static const section_t sections[SECTION_COUNT] = {
    [TOP]         = SECTION("", 0, top_settings),
    [ENGINE]      = SECTION("engine", offsetof(config_t, engine), engine_settings),
    [VENUE]       = SECTION("venue", offsetof(config_t, venue), venue_settings),
    [LATENCY]     = SECTION("latency", offsetof(config_t, latency), latency_settings),
    [FEES]        = SECTION("fees", offsetof(config_t, fees), fees_settings),
    [MARKET]      = SECTION("market", offsetof(config_t, market), market_settings),
    [JOURNAL]     = SECTION("journal", offsetof(config_t, journal), journal_settings),
    [RINGS]       = SECTION("rings", offsetof(config_t, rings), rings_settings),
    [RUN]         = SECTION("run", offsetof(config_t, run), run_settings),
    [CAPTURE]     = SECTION("capture", offsetof(config_t, capture), capture_settings),
    [LANES]       = SECTION("lanes", offsetof(config_t, lanes), lanes_settings),
    [ACCOUNTS]    = SECTION("accounts", 0, account_settings),
    [RISK]        = SECTION("risk", 0, risk_settings),
    [CLIENTS]     = SECTION("lanes", 0, client_settings),
    [TIERS]       = SECTION("fees", 0, tier_settings),
    [FX]          = SECTION("fx", 0, fx_settings),
    [SCHEDULES]   = SECTION("fee_schedules", 0, schedule_settings),
    [INSTRUMENTS] = SECTION("instruments", 0, instrument_settings),
};

/* ---- the files as libcyaml reads them: every setting is text at its index in the table; NULL = not written ------ */
typedef struct texts texts_t;
struct texts {
    char    *text[SETTINGS_MAX];
    char   **files;              /* capture alone */
    texts_t *clients;            /* lanes alone */
    texts_t *tiers;              /* fees alone */
    char   **accounts, **rights; /* a client alone */
    unsigned files_count, clients_count, tiers_count, accounts_count, rights_count;
};

typedef struct config_file {
    texts_t  single[SINGLE_COUNT];
    texts_t *accounts, *risk, *fx, *schedules;
    char   **strategies, **limits;
    unsigned accounts_count, risk_count, fx_count, schedules_count, strategies_count, limits_count;
} config_file_t;

typedef struct instruments_file {
    texts_t *instruments;
    unsigned instruments_count;
} instruments_file_t;

static cyaml_schema_field_t fields[SECTION_COUNT][SETTINGS_MAX + 1]; /* from the tables: fields_fill */

#define OPT (CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER)
#define MAPPING(index) CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, texts_t, fields[index])
#define FIELD_SINGLE(key, index)                                                                                       \
    CYAML_FIELD_MAPPING(key, CYAML_FLAG_OPTIONAL, config_file_t, single[index], fields[index])
static const cyaml_schema_value_t text_schema       = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, 512)};
static const cyaml_schema_value_t account_schema    = {MAPPING(ACCOUNTS)};
static const cyaml_schema_value_t risk_schema       = {MAPPING(RISK)};
static const cyaml_schema_value_t fx_schema         = {MAPPING(FX)};
static const cyaml_schema_value_t schedule_schema   = {MAPPING(SCHEDULES)};
static const cyaml_schema_value_t client_schema     = {MAPPING(CLIENTS)};
static const cyaml_schema_value_t tier_schema       = {MAPPING(TIERS)};
static const cyaml_schema_value_t instrument_schema = {MAPPING(INSTRUMENTS)};
static const cyaml_schema_field_t config_fields[]   = {
      CYAML_FIELD_STRING_PTR("instance", OPT, config_file_t, single[TOP].text[0], 0, 64),
      FIELD_SINGLE("engine", ENGINE),
      FIELD_SINGLE("venue", VENUE),
      FIELD_SINGLE("latency", LATENCY),
      FIELD_SINGLE("fees", FEES),
      FIELD_SINGLE("market", MARKET),
      FIELD_SINGLE("journal", JOURNAL),
      FIELD_SINGLE("rings", RINGS),
      FIELD_SINGLE("run", RUN),
      FIELD_SINGLE("capture", CAPTURE),
      FIELD_SINGLE("lanes", LANES),
      CYAML_FIELD_SEQUENCE("accounts", OPT, config_file_t, accounts, &account_schema, 0, 64),
      CYAML_FIELD_SEQUENCE("strategies", OPT, config_file_t, strategies, &text_schema, 0, CONFIG_STRATEGIES_MAX),
      CYAML_FIELD_SEQUENCE("risk", OPT, config_file_t, risk, &risk_schema, 0, 64),
      CYAML_FIELD_SEQUENCE("limits", OPT, config_file_t, limits, &text_schema, 0, CONFIG_LIMITS_MAX),
      CYAML_FIELD_SEQUENCE("fx", OPT, config_file_t, fx, &fx_schema, 0, 64),
      CYAML_FIELD_SEQUENCE("fee_schedules", OPT, config_file_t, schedules, &schedule_schema, 0, 256),
      CYAML_FIELD_END};
static const cyaml_schema_field_t instruments_fields[] = {
    CYAML_FIELD_SEQUENCE("instruments", CYAML_FLAG_POINTER, instruments_file_t, instruments, &instrument_schema, 0,
                         CONFIG_INSTRUMENTS_MAX),
    CYAML_FIELD_END};
static const cyaml_schema_value_t config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, config_file_t, config_fields)};
static const cyaml_schema_value_t instruments_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, instruments_file_t, instruments_fields)};

static void fields_fill(void)
{
    for (unsigned s = 0; s < SECTION_COUNT; s++) {
        for (unsigned i = 0; i < sections[s].count; i++) {
            const setting_t   *setting = &sections[s].settings[i];
            const cyaml_flag_e flags   = setting->fallback ? OPT : CYAML_FLAG_POINTER;
            const unsigned     len_max = setting->kind == KIND_PATH      ? PATH_TEXT_MAX
                                         : setting->kind == KIND_LATENCY ? MODELS_TEXT_MAX
                                                                         : 64;
            fields[s][i]               = (cyaml_schema_field_t){.key         = setting->key,
                                                                .data_offset = (uint32_t)(i * sizeof(char *)),
                                                                .value       = {CYAML_VALUE_STRING(flags, char, 0, len_max)}};
        }
    }
    static const cyaml_schema_field_t files[] = {
        CYAML_FIELD_SEQUENCE("files", OPT, texts_t, files, &text_schema, 0, 64)};
    static const cyaml_schema_field_t clients[] = {
        CYAML_FIELD_SEQUENCE("clients", OPT, texts_t, clients, &client_schema, 0, ENGINE_LANES_MAX)};
    static const cyaml_schema_field_t of_client[] = {
        CYAML_FIELD_SEQUENCE("accounts", OPT, texts_t, accounts, &text_schema, 0, 64),
        CYAML_FIELD_SEQUENCE("rights", CYAML_FLAG_POINTER, texts_t, rights, &text_schema, 0, 64)};
    static const cyaml_schema_field_t tiers[] = {
        CYAML_FIELD_SEQUENCE("tiers", OPT, texts_t, tiers, &tier_schema, 0, FEE_TIERS_MAX)};
    fields[CAPTURE][sections[CAPTURE].count]     = files[0];
    fields[FEES][sections[FEES].count]           = tiers[0];
    fields[LANES][sections[LANES].count]         = clients[0];
    fields[CLIENTS][sections[CLIENTS].count]     = of_client[0];
    fields[CLIENTS][sections[CLIENTS].count + 1] = of_client[1];
}

/* kept as a number; every other kind stays text */
static bool is_whole(const setting_t *s)
{
    return s->kind == KIND_WHOLE || s->kind == KIND_POWER || s->kind == KIND_PAGES || s->kind == KIND_WORD;
}

/* ---- one value -------------------------------------------------------------------------------------------------- */
/* Digits only: decimal_parse alone takes 1e3 and 5.0 too. */
static bool whole_parse(const char *text, int64_t *out)
{
    const char *digits = text + (*text == '-');
    return digits[strspn(digits, "0123456789")] == '\0' && decimal_parse(text, strlen(text), 0, out) == ERR_OK;
}

/* A decimal with at most so many places: the value in 10^-*scale, the finest scale that it fits. */
static bool places_parse(const char *text, unsigned places, unsigned *scale, int64_t *out)
{
    err_t err = ERR_RANGE;
    for (*scale = places + 1; err == ERR_RANGE && *scale > 0;) {
        err = decimal_parse(text, strlen(text), --*scale, out);
    }
    return err == ERR_OK;
}

/* The place of a word in "first second"; -1 = none of them. */
static int64_t word_place(const char *words, const char *text)
{
    const size_t len   = strlen(text);
    int64_t      place = 0;
    for (const char *c = words; *c; place++) {
        const size_t n = strcspn(c, " ");
        if (n == len && memcmp(c, text, n) == 0) {
            return place;
        }
        c += n + (c[n] == ' ');
    }
    return -1;
}

static const char *word_at(const char *words, int64_t place, char out[16])
{
    for (; place > 0; place--) {
        words += strcspn(words, " ") + 1;
    }
    snprintf(out, 16, "%.*s", (int)strcspn(words, " "), words);
    return out;
}

/* Absolute, and nothing in it leads back up: what is checked is what is opened. */
static bool path_plain(const char *text)
{
    if (*text == '\0') {
        return true;
    }
    if (*text != '/') {
        return false;
    }
    for (const char *c = text; c; c = strchr(c + 1, '/')) {
        const size_t n = strcspn(c + 1, "/");
        if ((n == 1 && c[1] == '.') || (n == 2 && c[1] == '.' && c[2] == '.')) {
            return false;
        }
    }
    return strlen(text) <= PATH_TEXT_MAX;
}

/* A user's number, or what could be a user's name: whether there is one, the machine says that runs the instance. */
static bool user_plain(const char *text, int64_t most)
{
    const size_t len = strlen(text);
    int64_t      number;
    if (len > 0 && strspn(text, "0123456789") == len) {
        return decimal_parse(text, len, 0, &number) == ERR_OK && number <= most;
    }
    return len <= 32 && *text != '-' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz-_.") == len;
}

static err_t whole_take(const setting_t *s, const char *name, const char *text, char *to)
{
    int64_t value = 0;
    if (s->kind == KIND_WORD) {
        value = word_place(s->words, text);
        if (value < 0) {
            return err_set(ERR_CONFIG, "%s is \"%s\", allowed is one of: %s", name, text, s->words);
        }
        memcpy(to, &value, sizeof value);
        return ERR_OK;
    }
    if (!whole_parse(text, &value)) {
        return err_set(ERR_CONFIG, "%s is \"%s\", which is no whole number; allowed are %" PRId64 " to %" PRId64, name,
                       text, s->low, s->high);
    }
    if (value < s->low || value > s->high) {
        return err_set(ERR_CONFIG, "%s is %" PRId64 ", allowed are %" PRId64 " to %" PRId64, name, value, s->low,
                       s->high);
    }
    if (s->kind == KIND_POWER && (value & (value - 1))) {
        return err_set(ERR_CONFIG, "%s is %" PRId64 ", which is no power of two", name, value);
    }
    if (s->kind == KIND_PAGES && value % 4096) {
        return err_set(ERR_CONFIG, "%s is %" PRId64 ", which is no multiple of 4096", name, value);
    }
    memcpy(to, &value, sizeof value);
    return ERR_OK;
}

/* Judge text and put it where it belongs in base. name: what the sentence calls it. */
static err_t setting_take(const setting_t *s, const char *name, const char *text, void *base)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz-_";
    const size_t      len       = strlen(text);
    char             *to        = (char *)base + s->offset;
    unsigned          scale     = 0;
    int64_t           value     = 0;
    if (is_whole(s)) {
        return whole_take(s, name, text, to);
    }
    if (s->kind == KIND_PATH && !path_plain(text)) {
        return err_set(ERR_CONFIG, "%s is \"%s\", allowed is an absolute path without . and .. in it, at most %d bytes",
                       name, text, PATH_TEXT_MAX);
    }
    if (s->kind == KIND_QUEUE || (s->kind == KIND_LATENCY && *text)) {
        queue_cfg_t  queue;
        models_leg_t leg;
        const err_t  err = s->kind == KIND_QUEUE ? queue_parse(text, &queue) : models_leg_parse(text, &leg);
        if (err) {
            return err_wrap(ERR_CONFIG, "%s", name);
        }
    }
    if (s->kind == KIND_DECIMAL || s->kind == KIND_AMOUNT) {
        const bool    above  = s->kind == KIND_AMOUNT;
        const bool    parsed = places_parse(text, s->places, &scale, &value);
        const int64_t unit   = pow10_i64(scale);
        if (!parsed || value < mul_i64(s->low, unit) + above || value > mul_i64(s->high, unit)) {
            return err_set(ERR_CONFIG,
                           "%s is \"%s\", allowed is a decimal %s %" PRId64 " up to %" PRId64 " with at most %u places",
                           name, text, above ? "above" : "from", s->low, s->high, s->places);
        }
    }
    if (s->kind == KIND_USER && !user_plain(text, s->high)) {
        return err_set(ERR_CONFIG,
                       "%s is \"%s\", allowed are a user's name, a number %" PRId64 " to %" PRId64 ", or \"\"", name,
                       text, s->low, s->high);
    }
    const bool sized = (int64_t)len >= s->low && (int64_t)len <= s->high;
    if ((s->kind == KIND_NAME && (!sized || strspn(text, letters) != len || *text == '-')) ||
        (s->kind == KIND_CURRENCY && (!sized || strspn(text, letters) < len || strpbrk(text, letters + 36)))) {
        return err_set(ERR_CONFIG, "%s is \"%s\", allowed are %" PRId64 " to %" PRId64 " of %s", name, text, s->low,
                       s->high, s->kind == KIND_NAME ? "letters, digits, - and _, not - first" : "A-Z and digits");
    }
    memcpy(to, &text, sizeof text);
    return ERR_OK;
}

/* ---- a section or an entry of a list ---------------------------------------------------------------------------- */
static err_t at_line(err_t err, const char *file, const yaml_places_t *places, const char *section, unsigned entry,
                     const char *key)
{
    return err ? err_wrap(err, "%s line %u", file, yaml_line(places, section, entry, key)) : ERR_OK;
}

static err_t section_take(const section_t *section, const texts_t *texts, void *base, const char **key)
{
    for (unsigned i = 0; i < section->count; i++) {
        const setting_t *s    = &section->settings[i];
        const char      *text = texts && texts->text[i] ? texts->text[i] : s->fallback;
        char             name[64];
        snprintf(name, sizeof name, "%s%s%s", section->name, *section->name ? "." : "", s->key);
        *key             = s->key;
        const bool empty = text && !*text && s->fallback && !*s->fallback &&
                           (s->kind == KIND_NAME || s->kind == KIND_CURRENCY || s->kind == KIND_AMOUNT);
        if (empty) { /* none, be it written or not */
            memcpy((char *)base + s->offset, &text, sizeof text);
            continue;
        }
        const bool  given = text && (*text || text != s->fallback || s->kind == KIND_PATH || s->kind == KIND_USER ||
                                    s->kind == KIND_LATENCY);
        const err_t err   = given ? setting_take(s, name, text, base) : ERR_OK;
        if (err) {
            return err;
        }
    }
    return ERR_OK;
}

/* Lists whose entries may begin alike: of rates and tiers together_check and schedules_check say more. */
static bool repeats(const section_t *section)
{
    return section == &sections[FX] || section == &sections[SCHEDULES];
}

/* What an entry is known by: its first setting, or, where that is not written, its second. */
static unsigned entry_key(const texts_t *texts)
{
    return texts->text[0] && *texts->text[0] ? 0 : 1;
}

/* A list whose entries begin with their name or currency, each once. */
static err_t list_take(const char *file, const yaml_places_t *places, const section_t *section, const texts_t *texts,
                       unsigned count, size_t size, void **out)
{
    char *base = calloc(count + 1, size);
    *out       = base;
    if (!base) {
        return err_set(ERR_LIMIT, "%s: out of memory", file);
    }
    for (unsigned i = 0; i < count; i++) {
        const char *key;
        err_t       err = section_take(section, &texts[i], base + i * size, &key);
        for (unsigned k = 0; !err && k < i; k++) {
            const unsigned at = entry_key(&texts[i]);
            key               = section->settings[at].key;
            err               = repeats(section) || strcmp(texts[k].text[entry_key(&texts[k])], texts[i].text[at]) != 0
                                    ? ERR_OK
                                    : err_set(ERR_CONFIG, "%s.%s %s is there twice", section->name, key, texts[i].text[at]);
        }
        if (err) {
            return at_line(err, file, places, section->name, i, key);
        }
    }
    return ERR_OK;
}

/* What an account is called where accounts are named. */
const char *config_account_name(const config_account_t *account)
{
    return *account->name ? account->name : account->currency;
}

/* ---- environment ------------------------------------------------------------------------------------------------ */
static void env_name(const section_t *section, const setting_t *s, char out[64])
{
    snprintf(out, 64, "HWAL_%s%s%s", section->name, *section->name ? "_" : "", s->key);
    for (char *c = out; *c; c++) {
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    }
}

/* One "NAME=value" of the environment; others' variables are left alone. */
static err_t variable_take(config_t *c, const char *variable)
{
    char         name[64];
    const size_t len  = strcspn(variable, "=");
    bool         ours = false;
    for (unsigned i = 0; i < SINGLE_COUNT; i++) {
        const section_t *section = &sections[i];
        for (unsigned k = 0; k < section->count; k++) {
            env_name(section, &section->settings[k], name);
            if (strlen(name) == len && memcmp(name, variable, len) == 0) {
                const err_t err = setting_take(&section->settings[k], name, variable + len + (variable[len] == '='),
                                               (char *)c + section->offset);
                return err ? err_wrap(err, "environment") : ERR_OK;
            }
        }
        env_name(section, &(setting_t){.key = ""}, name);
        ours |= *section->name && strncmp(variable, name, strlen(name)) == 0;
    }
    return ours ? err_set(ERR_CONFIG, "environment: %.*s is no setting; `hwal config show` prints them", (int)len,
                          variable)
                : ERR_OK;
}

/* ---- the run's settings ----------------------------------------------------------------------------------------- */
static err_t strategies_check(const char *file, const yaml_places_t *places, const config_file_t *raw)
{
    engine_strategy_cfg_t parsed[CONFIG_STRATEGIES_MAX];
    uint32_t              index;
    const err_t err = strategy_specs_parse((const char *const *)raw->strategies, raw->strategies_count, parsed, &index);
    return at_line(err, file, places, "strategies", index, "");
}

static const char client_rights[] = "check order limits raise approve operate"; /* right i is bit 1 << i */
_Static_assert(LANE_RIGHT_CHECK == 1 && LANE_RIGHT_ORDER == 2 && LANE_RIGHT_LIMITS == 4 && LANE_RIGHT_RAISE == 8 &&
                   LANE_RIGHT_APPROVE == 16 && LANE_RIGHT_OPERATE == 32,
               "places of the words");

static err_t rights_take(const texts_t *t, config_client_t *client)
{
    for (unsigned i = 0; i < t->rights_count; i++) {
        const int64_t place = word_place(client_rights, t->rights[i]);
        if (place < 0) {
            return err_set(ERR_CONFIG, "lanes.rights has \"%s\", allowed are: %s", t->rights[i], client_rights);
        }
        client->rights |= INT64_C(1) << place;
    }
    return client->rights
               ? ERR_OK
               : err_set(ERR_CONFIG, "lanes.rights of %s is empty, allowed are: %s", client->name, client_rights);
}

/* By their places, which are their ids in a live instance: a lane's rights name the first 62. */
static err_t client_accounts_take(const config_t *c, const texts_t *t, config_client_t *client)
{
    const unsigned count = c->accounts_count < 62 ? c->accounts_count : 62;
    for (unsigned i = 0; i < t->accounts_count; i++) {
        unsigned k = 0;
        while (k < count && strcmp(config_account_name(&c->accounts[k]), t->accounts[i]) != 0) {
            k++;
        }
        if (k == count) {
            return err_set(ERR_CONFIG, "lanes.accounts has \"%s\", which is no name and no currency of accounts",
                           t->accounts[i]);
        }
        client->accounts |= INT64_C(2) << k;
    }
    if (t->accounts_count == 0) {
        client->accounts = (INT64_C(2) << count) - 2;
    }
    return client->accounts ? ERR_OK
                            : err_set(ERR_CONFIG, "lanes.accounts of %s: there are no accounts to use", client->name);
}

/* What the commands that act use when nothing was configured for them: the one who runs the instance may look, trade, lower
 * limits and operate; raising limits and approving overrides is for clients that somebody wrote down. */
static void operator_add(config_t *c)
{
    const unsigned strategies = c->strategies_count ? c->strategies_count : STRATEGIES_DEFAULT;
    const unsigned origins    = strategies * c->accounts_count + c->lanes.clients_count + 1;
    const unsigned accounts   = c->accounts_count < 62 ? c->accounts_count : 62;
    bool           there      = false;
    for (unsigned i = 0; i < c->lanes.clients_count; i++) {
        there |= strcmp(c->lanes.clients[i].name, CONFIG_OPERATOR) == 0;
    }
    if (there || accounts == 0 || c->lanes.clients_count == ENGINE_LANES_MAX || origins >= CL_ORD_ID_ORIGINS) {
        return;
    }
    static char name[] = CONFIG_OPERATOR, user[] = "";
    c->lanes.clients[c->lanes.clients_count++] =
        (config_client_t){.name         = name,
                          .user         = user,
                          .accounts     = (INT64_C(2) << accounts) - 2,
                          .rights       = LANE_RIGHT_CHECK | LANE_RIGHT_ORDER | LANE_RIGHT_LIMITS | LANE_RIGHT_OPERATE,
                          .orders_per_s = 100,
                          .messages_per_s = 250,
                          .on_close       = LANE_KEEP};
}

static err_t clients_take(config_t *c, const char *file, const yaml_places_t *places, const texts_t *lanes)
{
    void *clients          = NULL;
    err_t err              = list_take(file, places, &sections[CLIENTS], lanes->clients, lanes->clients_count,
                                       sizeof *c->lanes.clients, &clients);
    c->lanes.clients       = clients;
    c->lanes.clients_count = lanes->clients_count;
    for (unsigned i = 0; !err && i < lanes->clients_count; i++) {
        const texts_t *t = &lanes->clients[i];
        err              = at_line(rights_take(t, &c->lanes.clients[i]), file, places, "lanes", i,
                      t->rights_count ? "rights" : "name");
        err              = err ? err
                               : at_line(client_accounts_take(c, t, &c->lanes.clients[i]), file, places, "lanes", i,
                            t->accounts_count ? "accounts" : "name");
    }
    return err;
}

err_t config_fees(const config_t *c, fee_cfg_t *out)
{
    const struct {
        const char *text;
        unsigned    places;
        int64_t    *to;
    } decimals[] = {{c->venue.maker_fee_bps, 4, &out->maker_rate_e8}, /* basis points with 4 decimals are 10^-8 */
                    {c->venue.taker_fee_bps, 4, &out->taker_rate_e8},
                    {c->fees.per_contract, 8, &out->per_contract_e8},
                    {c->fees.min_fill, 8, &out->min_fill_e8},
                    {c->fees.min_order, 8, &out->min_order_e8}};
    bool good    = true;
    *out         = (fee_cfg_t){.window_days = (uint32_t)c->fees.window_days, .tier_count = c->fees.tiers_count};
    for (unsigned i = 0; i < sizeof decimals / sizeof decimals[0]; i++) {
        good &= decimal_parse(decimals[i].text, strlen(decimals[i].text), decimals[i].places, decimals[i].to) == ERR_OK;
    }
    for (unsigned i = 0; i < c->fees.tiers_count; i++) {
        const config_tier_t *t  = &c->fees.tiers[i];
        fee_tier_t          *to = &out->tiers[i];
        good &= decimal_parse(t->from, strlen(t->from), 0, &to->from_volume) == ERR_OK &&
                decimal_parse(t->maker_bps, strlen(t->maker_bps), 4, &to->maker_rate_e8) == ERR_OK &&
                decimal_parse(t->taker_bps, strlen(t->taker_bps), 4, &to->taker_rate_e8) == ERR_OK;
    }
    if (!good) {
        return err_set(ERR_CONFIG, "fees: an amount or a rate is no decimal with as many places as it may have");
    }
    return fee_check(out) ? ERR_CONFIG : ERR_OK;
}

static err_t tiers_take(config_t *c, const char *file, const yaml_places_t *places, const texts_t *fees)
{
    void     *tiers = NULL;
    fee_cfg_t built;
    err_t     err =
        list_take(file, places, &sections[TIERS], fees->tiers, fees->tiers_count, sizeof *c->fees.tiers, &tiers);
    c->fees.tiers       = tiers;
    c->fees.tiers_count = fees->tiers_count;
    return err ? err : at_line(config_fees(c, &built), file, places, "fees", 0, "from");
}

/* Tiers of a schedule: the first from 0, the others above the one before. */
static err_t schedules_check(const config_t *c, unsigned *entry)
{
    for (unsigned i = 0; i < c->schedules_count; i++) {
        const config_schedule_t *s = &c->schedules[i], *before = NULL;
        int64_t                  from = 0, low = 0;
        *entry = i;
        for (unsigned k = 0; k < i; k++) {
            before = c->schedules[k].schedule == s->schedule ? &c->schedules[k] : before;
        }
        const bool good = decimal_parse(s->from, strlen(s->from), 0, &from) == ERR_OK &&
                          (!before || decimal_parse(before->from, strlen(before->from), 0, &low) == ERR_OK);
        if (!good || (before ? from <= low : from != 0)) {
            return err_set(ERR_CONFIG, "fee_schedules.from of schedule %" PRId64 " is %s, must be %s%s", s->schedule,
                           s->from, before ? "above " : "0", before ? before->from : "");
        }
    }
    return ERR_OK;
}

static bool schedule_known(const config_t *c, int64_t schedule)
{
    bool known = schedule == 0;
    for (unsigned i = 0; i < c->schedules_count; i++) {
        known |= c->schedules[i].schedule == schedule;
    }
    return known;
}

static err_t accounts_check(const config_t *c, const char *file, const yaml_places_t *places)
{
    for (unsigned i = 0; i < c->accounts_count; i++) {
        if (!schedule_known(c, c->accounts[i].fee_schedule)) {
            return at_line(err_set(ERR_CONFIG, "accounts.fee_schedule %" PRId64 " is none of fee_schedules",
                                   c->accounts[i].fee_schedule),
                           file, places, "accounts", i, "fee_schedule");
        }
    }
    for (unsigned i = 0; i < c->risk_count; i++) {
        const config_risk_t    *r     = &c->risk[i];
        const config_account_t *found = NULL;
        for (unsigned k = 0; k < c->accounts_count && *r->account; k++) {
            found = strcmp(config_account_name(&c->accounts[k]), r->account) == 0 ? &c->accounts[k] : found;
        }
        if (*r->account && (!found || strcmp(found->currency, r->currency) != 0)) {
            return at_line(err_set(ERR_CONFIG, "risk.account %s is %s", r->account,
                                   found ? "in another currency" : "none of accounts"),
                           file, places, "risk", i, "account");
        }
    }
    return ERR_OK;
}

/* Rates, fee schedules, further limits, and whether accounts and limits name what there is. */
static err_t money_take(config_t *c, const char *file, const yaml_places_t *places, const config_file_t *raw)
{
    void    *fx = NULL, *schedules = NULL;
    unsigned entry     = 0;
    err_t    err       = list_take(file, places, &sections[FX], raw->fx, raw->fx_count, sizeof *c->fx, &fx);
    err                = err ? err
                             : list_take(file, places, &sections[SCHEDULES], raw->schedules, raw->schedules_count,
                                         sizeof *c->schedules, &schedules);
    c->fx              = fx;
    c->fx_count        = raw->fx_count;
    c->schedules       = schedules;
    c->schedules_count = schedules ? raw->schedules_count : 0;
    c->limits          = raw->limits;
    c->limits_count    = raw->limits_count;
    err                = err ? err : at_line(schedules_check(c, &entry), file, places, "fee_schedules", entry, "from");
    err                = err ? err : accounts_check(c, file, places);
    for (unsigned i = 0; !err && i < c->fx_count; i++) {
        static char none[]  = "";
        c->fx[i].instrument = c->fx[i].instrument ? c->fx[i].instrument : none;
        if (!*c->fx[i].rate && !*c->fx[i].instrument) {
            err = at_line(err_set(ERR_CONFIG, "fx.rate of %s to %s is missing, and so is fx.instrument",
                                  c->fx[i].currency, c->fx[i].to),
                          file, places, "fx", i, "currency");
        }
    }
    for (unsigned i = 0; !err && i < c->limits_count; i++) {
        err_t bad = limit_line_check(c->limits[i]);
        for (unsigned k = 0; !bad && k < i; k++) {
            bad = limit_lines_apart(c->limits[i], c->limits[k]);
        }
        err = at_line(bad ? ERR_CONFIG : ERR_OK, file, places, "limits", i, "");
    }
    return err;
}

static err_t file_take(config_t *c, const char *file, const yaml_places_t *places, const config_file_t *raw)
{
    err_t err = ERR_OK;
    for (unsigned i = 0; !err && i < SINGLE_COUNT; i++) {
        const char *key;
        err = section_take(&sections[i], raw ? &raw->single[i] : NULL, (char *)c + sections[i].offset, &key);
        err = at_line(err, file, places, sections[i].name, 0, key);
    }
    if (err || !raw) {
        return err;
    }
    void *accounts = NULL, *risk = NULL;
    err = list_take(file, places, &sections[ACCOUNTS], raw->accounts, raw->accounts_count, sizeof *c->accounts,
                    &accounts);
    err = err ? err : list_take(file, places, &sections[RISK], raw->risk, raw->risk_count, sizeof *c->risk, &risk);
    c->accounts            = accounts;
    c->accounts_count      = raw->accounts_count;
    c->risk                = risk;
    c->risk_count          = raw->risk_count;
    c->strategies          = raw->strategies;
    c->capture.files       = raw->single[CAPTURE].files;
    c->capture.files_count = raw->single[CAPTURE].files_count;
    c->strategies_count    = raw->strategies_count;
    err                    = err ? err : clients_take(c, file, places, &raw->single[LANES]);
    err                    = err ? err : tiers_take(c, file, places, &raw->single[FEES]);
    err                    = err ? err : money_take(c, file, places, raw);
    if (!err) {
        operator_add(c);
    }
    return err ? err : strategies_check(file, places, raw);
}

/* What one setting cannot say alone. */
static err_t together_check(const config_t *c)
{
    const int64_t files = c->journal.max_bytes / c->journal.file_bytes;
    if (c->accounts_count > c->engine.accounts_max) {
        return err_set(ERR_CONFIG, "%u accounts, engine.accounts_max is %" PRId64, c->accounts_count,
                       c->engine.accounts_max);
    }
    if (c->engine.accounts_max * c->engine.instruments_max > RECORDS_COUNT_MAX) {
        return err_set(ERR_CONFIG,
                       "engine.accounts_max %" PRId64 " times engine.instruments_max %" PRId64
                       ", a record for each position: at most %u",
                       c->engine.accounts_max, c->engine.instruments_max, RECORDS_COUNT_MAX);
    }
    if (files < 2 || files > JOURNAL_FILES_MAX) {
        return err_set(ERR_CONFIG,
                       "journal.max_bytes is %" PRId64 ", that is %" PRId64 " files of journal.file_bytes %" PRId64
                       ", allowed are 2 to %d",
                       c->journal.max_bytes, files, c->journal.file_bytes, JOURNAL_FILES_MAX);
    }
    /* a strategy runs once in every account; each of these and each client has a number in the ClOrdIDs */
    const unsigned strategies = c->strategies_count ? c->strategies_count : STRATEGIES_DEFAULT;
    const unsigned origins    = strategies * c->accounts_count + c->lanes.clients_count;
    if (c->lanes.clients_count && origins >= CL_ORD_ID_ORIGINS) {
        return err_set(ERR_CONFIG, "%u strategies times %u accounts and %u lanes.clients are %u, allowed are %u",
                       strategies, c->accounts_count, c->lanes.clients_count, origins, CL_ORD_ID_ORIGINS - 1);
    }
    return ERR_OK;
}

err_t config_load(const char *file, config_t **out)
{
    yaml_places_t places = {0};
    config_t     *c      = calloc(1, sizeof *c);
    *out                 = NULL;
    if (!c) {
        return err_set(ERR_LIMIT, "config: out of memory");
    }
    fields_fill();
    err_t err = file ? yaml_load(file, &config_schema, &c->file, &places) : ERR_OK;
    err       = err ? err : file_take(c, file, &places, c->file);
    yaml_places_free(&places);
    for (char **variable = environ; !err && variable && *variable; variable++) {
        err = variable_take(c, *variable);
    }
    err = err ? err : together_check(c);
    if (err) {
        config_free(c);
        return err;
    }
    *out = c;
    return ERR_OK;
}

err_t config_set(config_t *c, const char *section, const char *key, const char *text)
{
    for (unsigned i = 0; i < SINGLE_COUNT; i++) {
        for (unsigned k = 0; strcmp(sections[i].name, section) == 0 && k < sections[i].count; k++) {
            if (strcmp(sections[i].settings[k].key, key) == 0) {
                return setting_take(&sections[i].settings[k], key, text, (char *)c + sections[i].offset);
            }
        }
    }
    return err_set(ERR_NOT_FOUND, "%s.%s: no such setting", section, key);
}

err_t config_strategies_check(const config_t *c)
{
    engine_strategy_cfg_t parsed[CONFIG_STRATEGIES_MAX];
    uint32_t              index;
    return strategy_specs_parse((const char *const *)c->strategies, c->strategies_count, parsed, &index);
}

void config_free(config_t *config)
{
    if (config) {
        cyaml_free(&yaml_cfg, &config_schema, config->file, 0);
        free(config->accounts);
        free(config->risk);
        free(config->lanes.clients);
        free(config->fees.tiers);
        free(config->fx);
        free(config->schedules);
        free(config);
    }
}

bool config_path(const char *name, char *out, size_t cap)
{
    char exe[PATH_MAX];
    snprintf(out, cap, "configs/%s", name);
    if (access(out, R_OK) == 0) {
        return true;
    }
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0) {
        return false;
    }
    exe[n] = '\0';
    for (int up = 0; up < 3; up++) { /* build/<profile>/hwal */
        char *slash = strrchr(exe, '/');
        if (!slash) {
            return false;
        }
        *slash = '\0';
    }
    snprintf(out, cap, "%s/configs/%s", exe, name);
    return access(out, R_OK) == 0;
}

/* ---- instruments ------------------------------------------------------------------------------------------------ */
static err_t entry_decimal(const char *key, const char *text, int64_t exp, int64_t fallback, int64_t *out)
{
    *out = fallback;
    return !text || decimal_parse(text, strlen(text), (unsigned)exp, out) == ERR_OK
               ? ERR_OK
               : err_set(ERR_CONFIG, "%s \"%s\" is not a decimal with at most %" PRId64 " places", key, text, exp);
}

/* key: of the entry, which the sentence is about; "" = several together. */
static err_t instrument_build(const config_instrument_t *e, uint16_t venue_id, instrument_t *out, const char **key)
{
    static const struct {
        const char       *name;
        instrument_kind_t kind;
    } markets[]           = {{"spot", INSTRUMENT_SPOT}, {"usdm", INSTRUMENT_LINEAR}, {"coinm", INSTRUMENT_INVERSE}};
    instrument_def_t def  = {.venue_id  = venue_id,
                             .px_exp    = (int8_t)e->px_exp,
                             .qty_exp   = (int8_t)e->qty_exp,
                             .money_exp = (int8_t)e->money_exp,
                             .mult      = e->mult};
    tick_band_t      band = {0};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(e->market, markets[i].name) == 0) {
            def.kind = (uint8_t)markets[i].kind;
        }
    }
    for (unsigned i = 0; i < sections[INSTRUMENTS].count; i++) { /* for entries that come from no file */
        const setting_t *s = &instrument_settings[i];
        int64_t          value;
        memcpy(&value, (const char *)e + s->offset, sizeof value);
        if (s->kind == KIND_WHOLE && (value < s->low || value > s->high)) {
            *key = s->key;
            return err_set(ERR_CONFIG, "%s is %" PRId64 ", allowed are %" PRId64 " to %" PRId64, s->key, value, s->low,
                           s->high);
        }
    }
    *key = "market";
    if (!def.kind) {
        return err_set(ERR_CONFIG, "market \"%s\" is none of spot, usdm, coinm", e->market);
    }
    *key = "venue";
    if (!venue_codec_find(e->venue)) {
        return err_set(ERR_CONFIG, "venue \"%s\" is not known here", e->venue);
    }
    const struct {
        const char *key, *text;
        int64_t     exp, fallback, *out;
    } decimals[] = {{"tick", e->tick, e->px_exp, 1, &band.tick},
                    {"lot", e->lot, e->qty_exp, 1, &def.lot},
                    {"min_qty", e->min_qty, e->qty_exp, 0, &def.min_qty},
                    {"min_notional", e->min_notional, e->money_exp, 0, &def.min_notional}};
    for (size_t i = 0; i < sizeof decimals / sizeof decimals[0]; i++) {
        *key            = decimals[i].key;
        const err_t err = entry_decimal(*key, decimals[i].text, decimals[i].exp, decimals[i].fallback, decimals[i].out);
        if (err) {
            return err;
        }
    }
    *key           = "";
    def.min_qty    = e->min_qty ? def.min_qty : def.lot;
    def.settle_ccy = ccy_pack(e->settle);
    return instrument_init(out, &def, e->symbol, &band, 1) ? ERR_CONFIG : ERR_OK;
}

err_t config_instrument(const config_instrument_t *e, uint16_t venue_id, instrument_t *out)
{
    const char *key;
    const err_t err = instrument_build(e, venue_id, out, &key);
    return err ? err_wrap(err, "%s %s", e->venue, e->symbol) : ERR_OK;
}

static err_t entry_take(config_instruments_t *list, const texts_t *texts, unsigned index, const char **key)
{
    config_instrument_t *e   = &list->instruments[index];
    err_t                err = section_take(&sections[INSTRUMENTS], texts, e, key);
    instrument_t         ins;
    err = err ? err : instrument_build(e, 1, &ins, key);
    for (unsigned k = 0; !err && k < index; k++) {
        const config_instrument_t *other = &list->instruments[k];
        if (strcmp(other->symbol, e->symbol) == 0 && strcmp(other->market, e->market) == 0 &&
            strcmp(other->venue, e->venue) == 0) {
            *key = "symbol";
            err  = err_set(ERR_CONFIG, "market %s has it twice, first as entry %u", e->market, k + 1);
        }
    }
    return err ? err_wrap(err, "%s %s", texts->text[0], texts->text[2]) : ERR_OK; /* venue, symbol */
}

err_t config_instruments_load(const char *file, config_instruments_t **out)
{
    yaml_places_t         places = {0};
    config_instruments_t *list   = calloc(1, sizeof *list);
    *out                         = NULL;
    if (!list) {
        return err_set(ERR_LIMIT, "%s: out of memory", file);
    }
    fields_fill();
    err_t err = yaml_load(file, &instruments_schema, &list->file, &places);
    if (!err) {
        const instruments_file_t *raw = list->file;
        list->instruments_count       = raw->instruments_count;
        list->instruments             = calloc(raw->instruments_count + 1, sizeof *list->instruments);
        err                           = list->instruments ? ERR_OK : err_set(ERR_LIMIT, "%s: out of memory", file);
        for (unsigned i = 0; !err && i < raw->instruments_count; i++) {
            const char *key;
            err = entry_take(list, &raw->instruments[i], i, &key);
            err = at_line(err, file, &places, "instruments", i, key);
        }
    }
    yaml_places_free(&places);
    if (err) {
        config_instruments_free(list);
        return err;
    }
    *out = list;
    return ERR_OK;
}

void config_instruments_free(config_instruments_t *list)
{
    if (list) {
        cyaml_free(&yaml_cfg, &instruments_schema, list->file, 0);
        free(list->instruments);
        free(list);
    }
}

/* ---- showing ---------------------------------------------------------------------------------------------------- */
/* base NULL = nothing is written: the keys as comments, with their defaults. */
static void section_print(const section_t *section, const char *first, const char *indent, const void *base)
{
    for (unsigned i = 0; i < section->count; i++) {
        const setting_t *s     = &section->settings[i];
        const char      *text  = s->fallback ? s->fallback : "...";
        const bool       whole = is_whole(s);
        const char      *range = s->kind == KIND_NAME       ? " of letters, digits, - and _, not - first"
                                 : s->kind == KIND_CURRENCY ? " of A-Z and digits"
                                 : s->kind == KIND_POWER    ? ", power of two"
                                 : s->kind == KIND_USER     ? ", or a user's name"
                                 : s->kind == KIND_PAGES    ? ", a multiple of 4096"
                                                            : "";
        char             number[32], word[16];
        if (base && whole) {
            int64_t value;
            memcpy(&value, (const char *)base + s->offset, sizeof value);
            snprintf(number, sizeof number, "%" PRId64, value);
            text = s->kind == KIND_WORD ? word_at(s->words, value, word) : number;
        } else if (base) {
            memcpy(&text, (const char *)base + s->offset, sizeof text);
        }
        const char *quote = whole ? "" : "\"";
        if (s->kind == KIND_WORD || s->kind == KIND_PATH || s->kind == KIND_QUEUE || s->kind == KIND_LATENCY) {
            printf("%s%s: %s%s%s # %s: %s\n", i ? indent : first, s->key, quote, text, quote,
                   s->kind == KIND_WORD    ? s->words
                   : s->kind == KIND_PATH  ? "absolute path"
                   : s->kind == KIND_QUEUE ? "a model"
                                           : MODELS_LEG_HELP,
                   s->help);
            continue;
        }
        printf("%s%s: %s%s%s # %s%" PRId64 " to %" PRId64 "%s: %s\n", i ? indent : first, s->key, quote, text, quote,
               s->kind == KIND_AMOUNT ? "above " : "", s->low, s->high, range, s->help);
    }
}

static void list_print(const section_t *section, const void *entries, unsigned count, size_t size)
{
    printf(count ? "%s:\n" : "# %s: # none written; an entry has\n", section->name);
    for (unsigned i = 0; i < count; i++) {
        section_print(section, "  - ", "    ", (const char *)entries + i * size);
    }
    if (count == 0) {
        section_print(section, "#   - ", "#     ", NULL);
    }
}

static void files_print(const config_capture_t *capture)
{
    printf(capture->files_count ? "  files:\n" : "  # files: # none: the market is generated; else captures\n");
    for (unsigned i = 0; i < capture->files_count; i++) {
        printf("    - \"%s\"\n", capture->files[i]);
    }
}

#define RIGHTS_HELP                                                                                                    \
    "ask risk; send, change and cancel its own orders; lower limits; raise them; approve overrides of another; "       \
    "kill, clear, flatten, acknowledge"

/* The two lists of a client, as it was written or as they are by default. */
static void client_lists_print(const config_t *c, const config_client_t *client)
{
    char        word[16];
    const char *comma = "";
    printf("      accounts: [");
    for (unsigned i = 0; i < c->accounts_count; i++) {
        if (client->accounts >> (i + 1) & 1) {
            printf("%s\"%s\"", comma, config_account_name(&c->accounts[i]));
            comma = ", ";
        }
    }
    printf("] # names or currencies of accounts that it may use; none = all\n      rights: [");
    comma = "";
    for (int64_t place = 0; client->rights >> place; place++) {
        if (client->rights >> place & 1) {
            printf("%s%s", comma, word_at(client_rights, place, word));
            comma = ", ";
        }
    }
    printf("] # %s: " RIGHTS_HELP "\n", client_rights);
}

static void clients_print(const config_t *c)
{
    const config_lanes_t *lanes = &c->lanes;
    printf(lanes->clients_count ? "  clients: # programs that may trade, at most %u\n"
                                : "  # clients: # none written: programs that may trade, at most %u; an entry has\n",
           ENGINE_LANES_MAX);
    for (unsigned i = 0; i < lanes->clients_count; i++) {
        section_print(&sections[CLIENTS], "    - ", "      ", &lanes->clients[i]);
        client_lists_print(c, &lanes->clients[i]);
    }
    if (lanes->clients_count == 0) {
        section_print(&sections[CLIENTS], "  #   - ", "  #     ", NULL);
        printf("  #     accounts: [] # names or currencies of accounts that it may use; none = all\n"
               "  #     rights: [%s] # %s: " RIGHTS_HELP "\n",
               "check, order", client_rights);
    }
}

static void tiers_print(const config_fees_t *fees)
{
    printf(fees->tiers_count ? "  tiers:\n"
                             : "  # tiers: # none written: the rates of venue; at most %u, an entry has\n",
           FEE_TIERS_MAX);
    for (unsigned i = 0; i < fees->tiers_count; i++) {
        section_print(&sections[TIERS], "    - ", "      ", &fees->tiers[i]);
    }
    if (fees->tiers_count == 0) {
        section_print(&sections[TIERS], "  #   - ", "  #     ", NULL);
    }
}

void config_print(const config_t *c)
{
    for (unsigned i = 0; i < SINGLE_COUNT; i++) {
        const char *indent = *sections[i].name ? "  " : "";
        if (*sections[i].name) {
            printf("%s:\n", sections[i].name);
        }
        section_print(&sections[i], indent, indent, (const char *)c + sections[i].offset);
        if (i == CAPTURE) {
            files_print(&c->capture);
        } else if (i == LANES) {
            clients_print(c);
        } else if (i == FEES) {
            tiers_print(&c->fees);
        }
    }
    list_print(&sections[ACCOUNTS], c->accounts, c->accounts_count, sizeof *c->accounts);
    printf(c->strategies_count ? "strategies:\n" : "# strategies: # none written; NAME or NAME:key=value,...\n");
    for (unsigned i = 0; i < c->strategies_count; i++) {
        printf("  - \"%s\"\n", c->strategies[i]);
    }
    list_print(&sections[RISK], c->risk, c->risk_count, sizeof *c->risk);
    printf(c->limits_count ? "limits:\n"
                           : "# limits: # none written; \"SCOPE FIELD=VALUE ...\", as `hwal limits set` takes them\n");
    for (unsigned i = 0; i < c->limits_count; i++) {
        printf("  - \"%s\"\n", c->limits[i]);
    }
    list_print(&sections[FX], c->fx, c->fx_count, sizeof *c->fx);
    list_print(&sections[SCHEDULES], c->schedules, c->schedules_count, sizeof *c->schedules);
}

/* ---- what a journal belongs to ---------------------------------------------------------------------------------- */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    return text ? hash_bytes(hash, text, strlen(text) + 1) : hash_u64(hash, 0); /* the end parts the texts */
}

static uint64_t section_hash(uint64_t hash, const section_t *section, const void *base)
{
    for (unsigned i = 0; i < section->count; i++) {
        const setting_t *s  = &section->settings[i];
        const char      *at = (const char *)base + s->offset;
        const char      *text;
        if (section == &sections[ENGINE] && s->offset == offsetof(config_engine_t, epoch)) {
            continue; /* rises with every life */
        }
        hash = hash_text(hash, s->key);
        memcpy(&text, at, sizeof text);
        hash = is_whole(s) ? hash_bytes(hash, at, sizeof(int64_t)) : hash_text(hash, text);
    }
    return hash;
}

uint64_t config_hash(const config_t *c)
{
    uint64_t hash = section_hash(0, &sections[ENGINE], &c->engine);
    for (unsigned i = 0; i < c->accounts_count; i++) {
        hash = section_hash(hash, &sections[ACCOUNTS], &c->accounts[i]);
    }
    for (unsigned i = 0; i < c->risk_count; i++) {
        hash = section_hash(hash, &sections[RISK], &c->risk[i]);
    }
    for (unsigned i = 0; i < c->limits_count; i++) {
        hash = hash_text(hash, c->limits[i]);
    }
    for (unsigned i = 0; i < c->fx_count; i++) {
        hash = section_hash(hash, &sections[FX], &c->fx[i]);
    }
    for (unsigned i = 0; i < c->schedules_count; i++) {
        hash = section_hash(hash, &sections[SCHEDULES], &c->schedules[i]);
    }
    for (unsigned i = 0; i < c->strategies_count; i++) {
        hash = hash_text(hash, c->strategies[i]);
    }
    for (unsigned i = 0; i < c->lanes.clients_count; i++) { /* what a lease says itself is journaled with it */
        const config_client_t *client = &c->lanes.clients[i];
        hash                          = hash_text(hash, client->name);
        hash = hash_u64(hash_u64(hash, (uint64_t)client->orders_per_s), (uint64_t)client->messages_per_s);
    }
    return hash;
}

err_t config_state_dir(const config_t *c, char *out, size_t cap)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int         n;
    if (*c->journal.dir) {
        n = snprintf(out, cap, "%s", c->journal.dir);
    } else if (state && *state == '/') {
        n = snprintf(out, cap, "%s/hwal/%s", state, c->instance);
    } else if (home && *home == '/') {
        n = snprintf(out, cap, "%s/.local/state/hwal/%s", home, c->instance);
    } else {
        return err_set(ERR_CONFIG, "journal.dir is empty, and there is no XDG_STATE_HOME and no HOME to put it in");
    }
    return (size_t)n < cap ? ERR_OK : err_set(ERR_CONFIG, "journal.dir: longer than %zu bytes", cap - 1);
}
