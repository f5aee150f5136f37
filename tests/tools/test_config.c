/* Configuration: what is refused, and that the sentence names file, line, key, value and limit.
 *
 * Checked   every refusal of the run's file, of instruments.yaml and of the environment by its whole sentence; values
 * at both ends of a range; defaults, file and environment in their order; what `config show` prints is read back as the
 * same settings; the shipped files are right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/lane.h"
#include "tools/config.h"
#include "tools/strategy_spec.h"

static char dir[] = "/tmp/hwal_config_XXXXXX", file[64];

static void file_write(const char *text, size_t len)
{
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* The sentence without the directory: "f.yaml line 3: ..." */
static const char *sentence(void)
{
    const char *text = err_msg();
    return strncmp(text, dir, strlen(dir)) == 0 ? text + strlen(dir) + 1 : text;
}

static void starts(const char *sentence_want, const char *of)
{
    if (strncmp(sentence(), sentence_want, strlen(sentence_want)) != 0) {
        fail_msg("%s\n  says   %s\n  wanted %s", of, sentence(), sentence_want);
    }
}

static void refused(const char *yaml, const char *want)
{
    config_t *c = (config_t *)(void *)dir;
    file_write(yaml, strlen(yaml));
    err_set(ERR_OK, "nothing");
    const err_t err = config_load(file, &c);
    starts(want, yaml);
    assert_int_equal(err, ERR_CONFIG);
    assert_null(c);
}

static config_t *taken(const char *yaml)
{
    config_t *c = NULL;
    file_write(yaml, strlen(yaml));
    if (config_load(file, &c) != ERR_OK) {
        fail_msg("%s\n  says %s", yaml, err_msg());
    }
    return c;
}

static void test_structure_is_refused_with_line_and_key(void **state)
{
    (void)state;
    refused("market:\n  seed: 1\n  tempo: 3\n",
            "f.yaml line 3: market.tempo: no such key; there are seed, rate, seconds, instruments");
    refused("venue: { seed: 1 }\n", "f.yaml line 1: venue.seed: no such key");
    refused(
        "a: 1\n",
        "f.yaml line 1: a: no such key; there are instance, engine, venue, latency, fees, market, journal, rings, run, "
        "capture, lanes, accounts");
    refused("accounts:\n  - currency: A\n    initial: 1\n    x: 1\n", "f.yaml line 4: accounts.x: no such key");
    refused("market:\n  seed: 1\n  seed: 2\n", "f.yaml line 3: market.seed is written twice");
    refused("market:\n  seed: 1\nvenue: {}\nmarket:\n  rate: 2\n", "f.yaml line 4: market is written twice");
    refused("accounts:\n  - { currency: A, initial: 1 }\n  - { currency: B }\n",
            "f.yaml line 3: accounts.initial is missing");
    refused("market: 5\n", "f.yaml line 1: market must be key: value, not a text");
    refused("instance: [a]\n", "f.yaml line 1: instance must be a text, not a list");
    refused("\nstrategies: sma_cross\n", "f.yaml line 2: strategies must be a list, not a text");
    refused("strategies:\n  - a: b\n", "f.yaml line 2: strategies entry must be a text, not key: value");
    refused("accounts:\n  - currency: A\n    initial:\n      - 1\n",
            "f.yaml line 4: accounts.initial must be a text, not a list");
    refused("market: { ? [a] : 1 }\n", "f.yaml line 1: a key must be a plain word");
    refused("- a\n", "f.yaml line 1: the file must be key: value, not a list");
    refused("", "f.yaml: is empty, or comments only");
    refused("# only\n", "f.yaml: is empty, or comments only");
    refused("market:\n\tseed: 1\n", "f.yaml line 2: a tab stands before the first word");
    refused("instance: a\nstrategies: [\n", "f.yaml line 3: did not find expected node content");
    refused("market: &a\n  seed: 1\n", "f.yaml line 1: anchor &a: anchors are not read here");
    refused("market:\n  seed: *a\n", "f.yaml line 2: alias *a: anchors are not read here");
    refused("instance: a\n---\ninstance: b\n", "f.yaml line 2: a second document begins");
    refused("instance: \"a\\0b\"\n", "f.yaml line 1: instance has a byte 0 in it");
    refused("\nmarket: { seed: \xff }\n", "f.yaml line 2: invalid leading UTF-8 octet");
    refused("strategies: [none,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]\n",
            "f.yaml line 1: strategies has more than 16 entries");
}

static void test_files_that_cannot_be_read(void **state)
{
    (void)state;
    config_t             *c    = NULL;
    config_instruments_t *list = NULL;
    unlink(file);
    assert_int_equal(config_load(file, &c), ERR_NOT_FOUND);
    starts("f.yaml: cannot be read: No such file or directory", "absent");
    assert_int_equal(config_instruments_load(file, &list), ERR_NOT_FOUND);
    assert_int_equal(config_load("/tmp", &c), ERR_IO);
    assert_string_equal(err_msg(), "/tmp: cannot be read: Is a directory");
    assert_int_equal(config_load("/proc/self/mem", &c), ERR_IO);
    assert_string_equal(err_msg(), "/proc/self/mem: cannot be read: Input/output error");
    assert_null(c);
    assert_null(list);
    file_write("instance: a\n", 12);
    if (geteuid() != 0) { /* root reads everything */
        assert_int_equal(chmod(file, 0), 0);
        assert_int_equal(config_load(file, &c), ERR_IO);
        starts("f.yaml: cannot be read: Permission denied", "unreadable");
        unlink(file);
    }
}

static void test_whole_numbers_are_plain_and_in_range(void **state)
{
    (void)state;
    static const char *const bad[] = {"1.5",    "1.0", "0x10", "010",  "1e3", "+5",
                                      "\" 5\"", "5_0", "ten",  "\"\"", "--5", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char         yaml[96], want[160];
        const char  *text = bad[i] + (*bad[i] == '"');
        const size_t len  = strcspn(text, "\"");
        snprintf(yaml, sizeof yaml, "market:\n  rate: %s\n", bad[i]);
        snprintf(want, sizeof want,
                 "f.yaml line 2: market.rate is \"%.*s\", which is no whole number; allowed are 0 to 1000000", (int)len,
                 text);
        refused(yaml, want);
    }
    refused("market: { rate: -1 }\n", "f.yaml line 1: market.rate is -1, allowed are 0 to 1000000");
    refused("market:\n  rate:\n    1000001\n", "f.yaml line 3: market.rate is 1000001, allowed are 0 to 1000000");
    refused("venue: { place_us: -1 }\n", "f.yaml line 1: venue.place_us is -1, allowed are 0 to 60000000");
    refused("engine:\n  epoch: 1\n  book_far_levels: 100\n",
            "f.yaml line 3: engine.book_far_levels is 100, which is no power of two");
    refused("engine: { book_window_ticks: 65 }\n", "f.yaml line 1: engine.book_window_ticks is 65, which is no power");
    config_t *c = taken("market: { rate: 1000000, seed: 9223372036854775807 }\nengine: { book_far_levels: \"64\" }\n");
    assert_int_equal(c->market.rate, 1000000);
    assert_true(c->market.seed == INT64_MAX);
    assert_int_equal(c->market.seconds, 20);
    assert_int_equal(c->engine.book_far_levels, 64);
    config_free(c);
}

static void test_accounts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool        good;
    } rows[] = {{"0", false},
                {"-1", false},
                {"0.00001", false},
                {"1e", false},
                {"", false},
                {"0.0001", true},
                {"1000.5", true},
                {"900000000000", true},
                {"NaN", false},
                {"0.0000", false},
                {"900000000000.0001", false},
                {"900000000001", false},
                {"99999999999999999999999", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char yaml[128], want[256];
        snprintf(yaml, sizeof yaml, "accounts:\n  - currency: USDT\n    initial: \"%s\"\n", rows[i].text);
        snprintf(want, sizeof want,
                 "f.yaml line 3: accounts.initial is \"%s\", allowed is a decimal above 0 up to 900000000000 with at "
                 "most 4 places",
                 rows[i].text);
        if (rows[i].good) {
            config_free(taken(yaml));
        } else {
            refused(yaml, want);
        }
    }
    static const char *const bad[] = {"usdt", "US-T", "", "ABCDEFGHI", "U S", "US_", "\xc3\x84"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char yaml[128], want[160];
        snprintf(yaml, sizeof yaml, "accounts:\n  - { currency: \"%s\", initial: 1 }\n", bad[i]);
        snprintf(want, sizeof want, "f.yaml line 2: accounts.currency is \"%s\", allowed are 1 to 8 of A-Z and digits",
                 bad[i]);
        refused(yaml, want);
    }
    refused("accounts:\n  - { currency: A, initial: 1 }\n  - { currency: B, initial: 1 }\n  - { currency: A, initial: "
            "2 }\n",
            "f.yaml line 4: accounts.currency A is there twice");
    config_t *c = taken("accounts:\n  - { currency: 1INCH, initial: 5 }\n  - { currency: ABCDEFGH, initial: 2.5 }\n");
    assert_int_equal(c->accounts_count, 2);
    assert_string_equal(c->accounts[0].currency, "1INCH");
    assert_string_equal(c->accounts[1].initial, "2.5");
    config_free(c);
}

static const char *const amounts[] = {"max_order_value", "max_position_value", "max_open_value", "max_gross",
                                      "max_net",         "max_day_loss",       "max_drawdown"};
static const char *const wholes[]  = {"collar_bps",     "far_bps",           "max_spread_bps",
                                      "max_md_age_ms",  "orders_per_s",      "max_open_orders_instrument",
                                      "messages_per_s", "concentration_bps", "max_open_orders_account"};

/* A whole risk entry, in which one key is what we say. */
static const char *risk_of(const char *currency, const char *key, const char *value)
{
    static char yaml[1024];
    size_t      n = (size_t)snprintf(yaml, sizeof yaml, "risk:\n  - currency: %s\n", currency);
    for (size_t i = 0; i < 7; i++) {
        const char *text = strcmp(amounts[i], key) == 0 ? value : "1000.12345678";
        n += (size_t)snprintf(yaml + n, sizeof yaml - n, "    %s: \"%s\"\n", amounts[i], text);
    }
    for (size_t i = 0; i < 9; i++) {
        if (strcmp(wholes[i], key) == 0) {
            n += (size_t)snprintf(yaml + n, sizeof yaml - n, "    %s: %s\n", key, value);
        }
    }
    return yaml;
}

static void test_risk_names_the_exact_key(void **state)
{
    (void)state;
    static const char *const bad[] = {"0", "-5", "1.123456789", "x", "900000000000.1"};
    char                     want[256];
    for (size_t i = 0; i < 7; i++) {
        for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
            snprintf(want, sizeof want,
                     "f.yaml line %zu: risk.%s is \"%s\", allowed is a decimal above 0 up to 900000000000 with at most "
                     "8 places",
                     i + 3, amounts[i], bad[k]);
            refused(risk_of("USDT", amounts[i], bad[k]), want);
        }
    }
    for (size_t i = 0; i < 9; i++) { /* a written 0 is no default */
        snprintf(want, sizeof want, "f.yaml line 10: risk.%s is 0, allowed are 1 to ", wholes[i]);
        refused(risk_of("USDT", wholes[i], "0"), want);
    }
    refused(risk_of("usd", "", ""), "f.yaml line 2: risk.currency is \"usd\", allowed are 1 to 8 of A-Z and digits");
    char twice[2048];
    snprintf(twice, sizeof twice, "%s%s", risk_of("A", "", ""), strchr(risk_of("A", "", ""), '\n') + 1);
    refused(twice, "f.yaml line 10: risk.currency A is there twice");
    config_t *c = taken(risk_of("KRW", "max_gross", "900000000000"));
    assert_string_equal(c->risk[0].max_gross, "900000000000");
    assert_int_equal(c->risk[0].collar_bps, 300);
    assert_int_equal(c->risk[0].concentration_bps, 2500);
    config_free(c);
}

static void test_fees_and_instance(void **state)
{
    (void)state;
    refused("venue: { maker_fee_bps: \"1000.0001\" }\n",
            "f.yaml line 1: venue.maker_fee_bps is \"1000.0001\", allowed is a decimal from -1000 up to 1000 with at "
            "most 4 places");
    refused("venue: { taker_fee_bps: \"-1001\" }\n", "f.yaml line 1: venue.taker_fee_bps is \"-1001\", allowed is");
    refused("venue: { taker_fee_bps: \"0.00001\" }\n", "f.yaml line 1: venue.taker_fee_bps is \"0.00001\"");
    refused("instance: \"\"\n", "f.yaml line 1: instance is \"\", allowed are 1 to 32 of letters, digits, - and _");
    refused("instance: -a\n", "f.yaml line 1: instance is \"-a\", allowed are 1 to 32");
    refused("instance: a/b\n", "f.yaml line 1: instance is \"a/b\", allowed are 1 to 32");
    refused("instance: abcdefghijklmnopqrstuvwxyz0123456\n", "f.yaml line 1: instance is \"abc");
    config_t *c = taken("instance: A-z_09\nvenue: { maker_fee_bps: -1000, taker_fee_bps: \"1000.0000\" }\n");
    assert_string_equal(c->instance, "A-z_09");
    assert_string_equal(c->venue.maker_fee_bps, "-1000");
    config_free(c);
    config_free(taken("instance: abcdefghijklmnopqrstuvwxyz012345\n"));
}

static void test_strategies(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *want;
    } rows[] = {
        {"nobody:a=1", "strategy \"nobody\": there are market_maker, sma_cross, probe"},
        {"", "strategy \"\": there are market_maker, sma_cross, probe"},
        {"sma_cross:", "strategy sma_cross: \"\" is not key=value"},
        {"sma_cross:fast", "strategy sma_cross: \"fast\" is not key=value"},
        {"sma_cross:=5", "strategy sma_cross: \"=5\" is not key=value"},
        {"sma_cross:fast=5,", "strategy sma_cross: \"\" is not key=value"},
        {"sma_cross:fast=", "strategy sma_cross: parameter fast is \"\", which is no whole number"},
        {"sma_cross:fast=,slow=9", "strategy sma_cross: parameter fast is \"\", which is no whole number"},
        {"sma_cross:fast=-,slow=9", "strategy sma_cross: parameter fast is \"-\", which is no whole number"},
        {"sma_cross:fast=5.0", "strategy sma_cross: parameter fast is \"5.0\", which is no whole number"},
        {"sma_cross:fast=1e1", "strategy sma_cross: parameter fast is \"1e1\", which is no whole number"},
        {"sma_cross:fast=05", "strategy sma_cross: parameter fast is \"05\", which is no whole number"},
        {"sma_cross:fast=9223372036854775808",
         "strategy sma_cross: parameter fast is \"9223372036854775808\", which does not fit 64 bits"},
        {"sma_cross:fast=5,fast=6", "strategy sma_cross: parameter fast is written twice"},
        {"sma_cross:speed=5", "strategy: sma_cross: parameter \"speed\" is not known"},
        {"sma_cross:fast=0", "strategy: sma_cross: parameter fast is 0, limit "},
        {"none", "strategy \"none\" stands beside others: it must stand alone"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char yaml[160], want[200];
        snprintf(yaml, sizeof yaml, "strategies:\n  - market_maker\n  - \"%s\"\n", rows[i].spec);
        snprintf(want, sizeof want, "f.yaml line 3: %s", rows[i].want);
        refused(yaml, want);
    }
    config_t *c = taken("strategies: [ none ]\n");
    assert_int_equal(c->strategies_count, 1);
    config_free(c);
    static const char *const specs[] = {"market_maker", "sma_cross:fast=6,slow=12"};
    engine_strategy_cfg_t    out[2];
    uint32_t                 parsed;
    assert_int_equal(strategy_specs_parse(specs, 2, out, &parsed), ERR_OK);
    assert_int_equal(parsed, 2);
    assert_int_equal(out[0].cfg.param_count, 0);
    assert_int_equal(strategy_param(&out[1].cfg, "slow", 0), 12);
    assert_int_equal(out[1].cfg.param_count, 2);
    assert_int_equal(out[1].cfg.account_id, 0);
    const char *const none = "none";
    assert_int_equal(strategy_specs_parse(&none, 1, out, &parsed), ERR_OK);
    assert_int_equal(parsed, 0);
}

#define MONEY "accounts:\n  - { currency: USDT, initial: 1 }\n  - { currency: KRW, initial: 1 }\n"
#define CLIENT "lanes:\n  slots: 64\n  clients:\n    - name: desk\n      rights: [check, order]\n"

static void test_lanes(void **state)
{
    (void)state;
    config_t *c =
        taken(MONEY "lanes:\n  clients:\n    - { name: a-B_9, rights: [order], accounts: [KRW], user: nobody, "
                    "orders_per_s: 7, messages_per_s: 1024, on_close: keep }\n"
                    "    - { name: b, rights: [order, check], user: \"\", accounts: [] }\n"
                    "    - { name: c, rights: [check], user: 4294967294, accounts: [KRW, USDT] }\n");
    assert_int_equal(c->lanes.slots, 1024);
    assert_int_equal(c->lanes.clients_count, 4);
    const config_client_t *client = c->lanes.clients;
    assert_string_equal(client[3].name, CONFIG_OPERATOR); /* nobody wrote one: it comes last, and may not raise */
    assert_string_equal(client[3].user, "");
    assert_int_equal(client[3].rights, LANE_RIGHT_CHECK | LANE_RIGHT_ORDER | LANE_RIGHT_LIMITS | LANE_RIGHT_OPERATE);
    assert_int_equal(client[3].accounts, 1 << 1 | 1 << 2);
    assert_int_equal(client[3].on_close, LANE_KEEP);
    assert_string_equal(client[0].name, "a-B_9");
    assert_string_equal(client[0].user, "nobody");
    assert_int_equal(client[0].rights, LANE_RIGHT_ORDER);
    assert_int_equal(client[0].accounts, 1 << 2);
    assert_int_equal(client[0].orders_per_s, 7);
    assert_int_equal(client[0].messages_per_s, 1024);
    assert_int_equal(client[0].on_close, LANE_KEEP);
    assert_string_equal(client[1].user, "");
    assert_int_equal(client[1].rights, LANE_RIGHT_CHECK | LANE_RIGHT_ORDER);
    assert_int_equal(client[1].accounts, 1 << 1 | 1 << 2);
    assert_int_equal(client[1].orders_per_s, 100);
    assert_int_equal(client[1].messages_per_s, 250);
    assert_int_equal(client[1].on_close, LANE_CANCEL);
    assert_string_equal(client[2].user, "4294967294");
    assert_int_equal(client[2].rights, LANE_RIGHT_CHECK);
    assert_int_equal(client[2].accounts, 1 << 1 | 1 << 2);
    config_free(c);
    c = taken("lanes: { slots: 65536 }\n");
    assert_int_equal(c->lanes.slots, 65536);
    assert_int_equal(c->lanes.clients_count, 0);
    config_free(c);
}

static void test_money_and_limits(void **state)
{
    (void)state;
    config_t *c = taken(
        "accounts:\n  - { name: one, currency: USDT, initial: \"5\", hedging: yes, cost: fifo, fee_schedule: 7 }\n"
        "  - { currency: USDT, initial: \"6\" }\n"
        "fee_schedules:\n  - { schedule: 7, maker_bps: \"-1\", taker_bps: \"5\", tax_sell_bps: \"18\" }\n"
        "  - { schedule: 7, from: \"1000\", maker_bps: \"-2\", taker_bps: \"4\" }\n"
        "fx:\n  - { currency: EUR, to: USDT, rate: \"1.08\" }\n  - { currency: KRW, to: USDT, instrument: X }\n"
        "limits:\n  - \"account:1 max_turnover=500000\"\n"
        "lanes:\n  clients:\n    - { name: operator, rights: [check], accounts: [one] }\n");
    assert_int_equal(c->accounts_count, 2);
    assert_string_equal(config_account_name(&c->accounts[0]), "one");
    assert_string_equal(config_account_name(&c->accounts[1]), "USDT");
    assert_int_equal(c->accounts[0].hedging, 1);
    assert_int_equal(c->accounts[0].cost, COST_FIFO);
    assert_int_equal(c->accounts[1].margin, 1);
    assert_int_equal(c->schedules_count, 2);
    assert_string_equal(c->fx[0].rate, "1.08");
    assert_string_equal(c->fx[1].instrument, "X");
    assert_int_equal(c->lanes.clients_count, 1); /* the one that is written is the operator */
    assert_int_equal(c->lanes.clients[0].rights, LANE_RIGHT_CHECK);
    assert_int_equal(c->lanes.clients[0].accounts, 1 << 1);
    config_free(c);
    refused("limits:\n  - \"account:1 no_such=1\"\n", "f.yaml line 2: no_such: no such limit");
    refused("accounts:\n  - { currency: USDT, initial: \"5\", fee_schedule: 7 }\n",
            "f.yaml line 2: accounts.fee_schedule 7 is none of fee_schedules");
    refused("fee_schedules:\n  - { schedule: 7, from: \"5\", maker_bps: \"1\", taker_bps: \"1\" }\n",
            "f.yaml line 2: fee_schedules.from of schedule 7 is 5, must be 0");
    refused("fx:\n  - { currency: EUR, to: USDT }\n", "f.yaml line 2: fx.rate of EUR to USDT is missing");
}

static void test_lanes_are_refused_with_line_and_key(void **state)
{
    (void)state;
    refused("lanes: { slots: 8 }\n", "f.yaml line 1: lanes.slots is 8, allowed are 16 to 65536");
    refused("lanes:\n  slots: 48\n", "f.yaml line 2: lanes.slots is 48, which is no power of two");
    refused("lanes:\n  slot: 64\n", "f.yaml line 2: lanes.slot: no such key; there are slots, clients");
    refused(MONEY "lanes:\n  clients: desk\n", "f.yaml line 5: lanes.clients must be a list, not a text");
    refused(MONEY "lanes:\n  clients:\n    - rights: [check]\n", "f.yaml line 6: lanes.name is missing");
    refused(MONEY "lanes:\n  clients:\n    - name: x\n", "f.yaml line 6: lanes.rights is missing");
    refused(MONEY CLIENT "      tenant: 1\n", "f.yaml line 9: lanes.tenant: no such key; there are name, user, "
                                              "orders_per_s, messages_per_s, on_close, accounts, rights");
    refused(MONEY "lanes:\n  clients:\n    - { name: a/b, rights: [check] }\n",
            "f.yaml line 6: lanes.name is \"a/b\", allowed are 1 to 31 of letters, digits, - and _, not - first");
    refused(MONEY "lanes:\n  clients:\n    - { name: abcdefghijklmnopqrstuvwxyz012345, rights: [check] }\n",
            "f.yaml line 6: lanes.name is \"abcdefghijklmnopqrstuvwxyz012345\", allowed are 1 to 31 of");
    refused(MONEY CLIENT "    - { name: other, rights: [check] }\n    - { name: desk, rights: [check] }\n",
            "f.yaml line 10: lanes.name desk is there twice");
    refused(MONEY CLIENT "    - name: x\n      rights:\n        - check\n        - trade\n",
            "f.yaml line 11: lanes.rights has \"trade\", allowed are: check order limits raise approve operate");
    refused(MONEY CLIENT "    - name: x\n      rights: []\n",
            "f.yaml line 9: lanes.rights of x is empty, allowed are: check order limits raise approve operate");
    refused(MONEY CLIENT "      accounts: [USDT, EUR]\n",
            "f.yaml line 9: lanes.accounts has \"EUR\", which is no name and no currency of accounts");
    refused(CLIENT, "f.yaml line 4: lanes.accounts of desk: there are no accounts to use");
    refused(MONEY CLIENT "      orders_per_s: 0\n", "f.yaml line 9: lanes.orders_per_s is 0, allowed are 1 to 1024");
    refused(MONEY CLIENT "      messages_per_s: 1025\n",
            "f.yaml line 9: lanes.messages_per_s is 1025, allowed are 1 to 1024");
    refused(MONEY CLIENT "      on_close: sell\n",
            "f.yaml line 9: lanes.on_close is \"sell\", allowed is one of: cancel keep");
    static const char *const users[] = {"4294967295", "99999999999999999999", "-x", "a b", "a:b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof users / sizeof users[0]; i++) {
        char yaml[512], want[256];
        snprintf(yaml, sizeof yaml, MONEY CLIENT "      user: \"%s\"\n", users[i]);
        snprintf(want, sizeof want,
                 "f.yaml line 9: lanes.user is \"%s\", allowed are a user's name, a number 0 to 4294967294, or \"\"",
                 users[i]);
        refused(yaml, want);
    }
    char   yaml[2048] = MONEY "lanes:\n  clients:\n";
    size_t n          = strlen(yaml);
    for (int i = 0; i < 17; i++) {
        n += (size_t)snprintf(yaml + n, sizeof yaml - n, "    - { name: c%d, rights: [check] }\n", i);
    }
    refused(yaml, "f.yaml line 22: lanes.clients has more than 16 entries");
}

/* 16 strategies in 16 accounts are 256 numbers of their own. */
static void test_lanes_leave_room_for_ids(void **state)
{
    (void)state;
    char   yaml[4096] = "strategies: [";
    size_t n          = strlen(yaml);
    for (int i = 0; i < 16; i++) {
        n += (size_t)snprintf(yaml + n, sizeof yaml - n, "%ssma_cross", i ? ", " : "");
    }
    n += (size_t)snprintf(yaml + n, sizeof yaml - n,
                          "]\nlanes: { clients: [{ name: x, rights: [check] }] }\naccounts:\n");
    for (int i = 0; i < 15; i++) {
        n += (size_t)snprintf(yaml + n, sizeof yaml - n, "  - { currency: C%d, initial: 1 }\n", i);
    }
    config_free(taken(yaml)); /* 241 */
    snprintf(yaml + n, sizeof yaml - n, "  - { currency: C15, initial: 1 }\n");
    refused(yaml, "16 strategies times 16 accounts and 1 lanes.clients are 257, allowed are 255");
}

/* What an engine is built from, and nothing else: who may lease, for how much at a time, is journaled with each lease. */
static void test_lanes_are_in_the_hash(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        bool        same;
    } rows[]            = {{"", true},
                           {"      user: nobody\n", true},
                           {"      on_close: keep\n", true},
                           {"      accounts: [KRW]\n", true},
                           {"      orders_per_s: 99\n", false},
                           {"      messages_per_s: 251\n", false},
                           {"    - { name: second, rights: [check] }\n", false}};
    config_t      *c    = taken(MONEY CLIENT);
    const uint64_t hash = config_hash(c);
    config_free(c);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char yaml[512];
        snprintf(yaml, sizeof yaml, "%s%s", MONEY CLIENT, rows[i].more);
        c = taken(yaml);
        assert_int_equal(config_hash(c) == hash, rows[i].same);
        config_free(c);
    }
    c = taken(MONEY "lanes: { clients: [{ name: desc, rights: [check, order] }] }\n");
    assert_true(config_hash(c) != hash);
    config_free(c);
}

static void env_refused(const char *name, const char *value, const char *want)
{
    config_t *c;
    setenv(name, value, 1);
    const err_t err = config_load(NULL, &c);
    unsetenv(name);
    starts(want, name);
    assert_int_equal(err, ERR_CONFIG);
}

static void test_environment(void **state)
{
    (void)state;
    env_refused("HWAL_MARKET_RATE", "fast", "environment: HWAL_MARKET_RATE is \"fast\", which is no whole number");
    env_refused("HWAL_MARKET_RATE", "", "environment: HWAL_MARKET_RATE is \"\", which is no whole number");
    env_refused("HWAL_ENGINE_EPOCH", "0", "environment: HWAL_ENGINE_EPOCH is 0, allowed are 1 to 4095");
    env_refused("HWAL_ENGINE_BOOK_FAR_LEVELS", "65",
                "environment: HWAL_ENGINE_BOOK_FAR_LEVELS is 65, which is no power");
    env_refused("HWAL_VENUE_MAKER_FEE_BPS", "2000", "environment: HWAL_VENUE_MAKER_FEE_BPS is \"2000\", allowed is");
    env_refused("HWAL_INSTANCE", "a b", "environment: HWAL_INSTANCE is \"a b\", allowed are 1 to 32");
    env_refused("HWAL_MARKET_TEMPO", "1", "environment: HWAL_MARKET_TEMPO is no setting");
    env_refused("HWAL_ENGINE_", "1", "environment: HWAL_ENGINE_ is no setting");
    env_refused("HWAL_VENUE_PLACE_U", "1", "environment: HWAL_VENUE_PLACE_U is no setting");
    setenv("HWAL_INSTANCE", "from-env", 1);
    setenv("HWAL_VENUE_TAKER_FEE_BPS", "-0.5", 1);
    setenv("HWAL_MARKET_RATE", "777", 1);
    setenv("HWAL_SHAREDX", "others are not ours", 1);
    config_t *c = taken("instance: from-file\nmarket: { rate: 5, seconds: 6 }\n");
    unsetenv("HWAL_INSTANCE");
    unsetenv("HWAL_VENUE_TAKER_FEE_BPS");
    unsetenv("HWAL_MARKET_RATE");
    assert_string_equal(c->instance, "from-env");
    assert_string_equal(c->venue.taker_fee_bps, "-0.5");
    assert_string_equal(c->venue.maker_fee_bps, "2");
    assert_int_equal(c->market.rate, 777);
    assert_int_equal(c->market.seconds, 6);
    config_free(c);
}

#define ENTRY "  - venue: binance\n    market: spot\n    symbol: X\n    settle: USDT\n    px_exp: 2\n    qty_exp: 8\n"
#define STEPS "    tick: \"0.01\"\n    lot: \"1\"\n"

static void instruments_refused(const char *yaml, const char *want)
{
    config_instruments_t *list = NULL;
    file_write(yaml, strlen(yaml));
    err_set(ERR_OK, "nothing");
    const err_t err = config_instruments_load(file, &list);
    starts(want, yaml);
    assert_int_equal(err, ERR_CONFIG);
    assert_null(list);
}

static void test_instruments(void **state)
{
    (void)state;
    instruments_refused("instruments:\n" ENTRY STEPS ENTRY STEPS,
                        "f.yaml line 12: binance X: market spot has it twice, first as entry 1");
    instruments_refused("instruments:\n" ENTRY STEPS "    mult: 0\n",
                        "f.yaml line 10: binance X: instruments.mult is 0, allowed are 1 to ");
    instruments_refused("instruments:\n" ENTRY STEPS "    mult: 2\n",
                        "f.yaml line 2: binance X: instrument X: mult is 2");
    instruments_refused("instruments:\n" ENTRY STEPS "    money_exp: 13\n",
                        "f.yaml line 10: binance X: instruments.money_exp is 13, allowed are 0 to 12");
    instruments_refused("instruments:\n" ENTRY STEPS "    money_exp: -1\n",
                        "f.yaml line 10: binance X: instruments.money_exp is -1, allowed are 0 to 12");
    instruments_refused("instruments:\n" ENTRY "    lot: \"1\"\n    tick: \"0.001\"\n",
                        "f.yaml line 9: binance X: tick \"0.001\" is not a decimal with at most 2 places");
    instruments_refused("instruments:\n" ENTRY "    lot: \"1\"\n    tick: \"0\"\n",
                        "f.yaml line 2: binance X: instrument X: ");
    instruments_refused("instruments:\n" ENTRY STEPS "    min_qty: x\n",
                        "f.yaml line 10: binance X: min_qty \"x\" is not");
    instruments_refused("instruments:\n" ENTRY "    lot: \"1\"\n", "f.yaml line 2: instruments.tick is missing");
    instruments_refused(
        "instruments:\n  - { venue: nasdaq, market: spot, symbol: Y, settle: USD, px_exp: 2, qty_exp: 0, "
        "tick: 1, lot: 1 }\n",
        "f.yaml line 2: nasdaq Y: venue \"nasdaq\" is not known here");
    instruments_refused(
        "instruments:\n  - { venue: binance, market: perp, symbol: Y, settle: USD, px_exp: 2, qty_exp: 0, "
        "tick: 1, lot: 1 }\n",
        "f.yaml line 2: binance Y: market \"perp\" is none of spot, usdm, coinm");
    instruments_refused(
        "instruments:\n  - { venue: binance, market: spot, symbol: Y, settle: usd, px_exp: 2, qty_exp: 0, "
        "tick: 1, lot: 1 }\n",
        "f.yaml line 2: binance Y: instruments.settle is \"usd\", allowed are 1 to 8 of A-Z and digits");
    instruments_refused(
        "instruments:\n  - { venue: binance, market: spot, symbol: Y, settle: USD, px_exp: 1.5, qty_exp: "
        "0, tick: 1, lot: 1 }\n",
        "f.yaml line 2: binance Y: instruments.px_exp is \"1.5\", which is no whole number");

    config_instruments_t *list = NULL;
    static const char good[]   = "instruments:\n" ENTRY STEPS
                               "  - { venue: binance, market: usdm, symbol: X, settle: USDT, px_exp: 2, qty_exp: 0, "
                               "money_exp: 0, tick: \"0.01\", lot: 1 }\n";
    file_write(good, sizeof good - 1);
    if (config_instruments_load(file, &list) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
    assert_int_equal(list->instruments_count, 2);
    assert_int_equal(list->instruments[0].money_exp, 8); /* absent */
    assert_int_equal(list->instruments[1].money_exp, 0); /* written */
    assert_int_equal(list->instruments[1].mult, 1);
    config_instrument_t entry = list->instruments[1];
    instrument_t        ins;
    assert_int_equal(config_instrument(&entry, 3, &ins), ERR_OK);
    assert_int_equal(ins.def.money_exp, 0);
    assert_int_equal(ins.def.venue_id, 3);
    assert_int_equal(ins.def.min_qty, ins.def.lot);
    entry.px_exp = 256; /* from no file: nothing has looked at it yet */
    assert_int_equal(config_instrument(&entry, 3, &ins), ERR_CONFIG);
    assert_string_equal(err_msg(), "binance X: px_exp is 256, allowed are 0 to 12");
    config_instruments_free(list);
}

static void same(const config_t *a, const config_t *b)
{
    assert_string_equal(a->instance, b->instance);
    assert_memory_equal(&a->engine, &b->engine, sizeof a->engine);
    assert_memory_equal(&a->market, &b->market, sizeof a->market);
    assert_int_equal(a->venue.report_us, b->venue.report_us);
    assert_string_equal(a->venue.maker_fee_bps, b->venue.maker_fee_bps);
    assert_string_equal(a->venue.queue, b->venue.queue);
    assert_string_equal(a->latency.place, b->latency.place);
    assert_int_equal(a->fees.tiers_count, b->fees.tiers_count);
    for (unsigned i = 0; i < a->fees.tiers_count; i++) {
        assert_string_equal(a->fees.tiers[i].taker_bps, b->fees.tiers[i].taker_bps);
    }
    assert_int_equal(a->accounts_count, b->accounts_count);
    assert_int_equal(a->strategies_count, b->strategies_count);
    assert_int_equal(a->risk_count, b->risk_count);
    for (unsigned i = 0; i < a->accounts_count; i++) {
        assert_string_equal(a->accounts[i].currency, b->accounts[i].currency);
        assert_string_equal(a->accounts[i].initial, b->accounts[i].initial);
    }
    for (unsigned i = 0; i < a->strategies_count; i++) {
        assert_string_equal(a->strategies[i], b->strategies[i]);
    }
    for (unsigned i = 0; i < a->risk_count; i++) {
        assert_string_equal(a->risk[i].max_drawdown, b->risk[i].max_drawdown);
        assert_int_equal(a->risk[i].collar_bps, b->risk[i].collar_bps);
        assert_int_equal(a->risk[i].concentration_bps, b->risk[i].concentration_bps);
    }
}

static void lanes_same(const config_lanes_t *a, const config_lanes_t *b)
{
    assert_int_equal(a->slots, b->slots);
    assert_int_equal(a->clients_count, b->clients_count);
    for (unsigned i = 0; i < a->clients_count; i++) {
        const config_client_t *p = &a->clients[i], *q = &b->clients[i];
        assert_string_equal(p->name, q->name);
        assert_string_equal(p->user, q->user);
        assert_true(p->accounts == q->accounts && p->rights == q->rights && p->on_close == q->on_close);
        assert_true(p->orders_per_s == q->orders_per_s && p->messages_per_s == q->messages_per_s);
    }
}

static void live_same(const config_t *a, const config_t *b)
{
    lanes_same(&a->lanes, &b->lanes);
    assert_string_equal(a->journal.dir, b->journal.dir);
    assert_int_equal(a->journal.max_bytes, b->journal.max_bytes);
    assert_int_equal(a->journal.file_bytes, b->journal.file_bytes);
    assert_int_equal(a->journal.durability, b->journal.durability);
    assert_int_equal(a->journal.start, b->journal.start);
    assert_memory_equal(&a->rings, &b->rings, sizeof a->rings);
    assert_memory_equal(&a->run, &b->run, sizeof a->run);
    assert_string_equal(a->capture.speed, b->capture.speed);
    assert_int_equal(a->capture.files_count, b->capture.files_count);
    for (unsigned i = 0; i < a->capture.files_count; i++) {
        assert_string_equal(a->capture.files[i], b->capture.files[i]);
    }
    assert_true(config_hash(a) == config_hash(b));
}

static void printed_is_read_back(const config_t *c)
{
    fflush(stdout);
    const int keep = dup(1);
    assert_non_null(freopen(file, "w", stdout));
    config_print(c);
    fflush(stdout);
    assert_int_equal(dup2(keep, 1), 1);
    close(keep);
    config_t *back = NULL;
    if (config_load(file, &back) != ERR_OK) {
        fail_msg("printed settings: %s", err_msg());
    }
    same(c, back);
    live_same(c, back);
    config_free(back);
}

static void test_models_of_the_simulated_venue(void **state)
{
    (void)state;
    static const char *const queues[] = {"fifo", "prob_power", "prob_power:17", "\"\""};
    static const char *const legs[]   = {"5",
                                         "5 us",
                                         "-1us",
                                         "1.0005us",
                                         "3601s",
                                         "histogram",
                                         "histogram f",
                                         "histogram f nodot",
                                         "histogram f a.b 0",
                                         "histogram f a.b 1 x"};
    for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++) {
        char yaml[96];
        snprintf(yaml, sizeof yaml, "venue:\n  queue: %s\n", queues[i]);
        refused(yaml, "f.yaml line 2: venue.queue: \"");
    }
    for (size_t i = 0; i < sizeof legs / sizeof legs[0]; i++) {
        char yaml[96];
        snprintf(yaml, sizeof yaml, "latency:\n  seed: 1\n  ack: \"%s\"\n", legs[i]);
        refused(yaml, "f.yaml line 3: latency.ack: \"");
    }
    refused("fees:\n  tiers:\n    - { from: \"0\", maker_bps: \"1\", taker_bps: \"1\" }\n",
            "f.yaml line 3: fees.from is \"0\", allowed is a decimal above 0");
    refused("fees:\n  tiers:\n    - { from: \"2\", maker_bps: \"1\", taker_bps: \"1\" }\n"
            "    - { from: \"1\", maker_bps: \"1\", taker_bps: \"1\" }\n",
            "f.yaml line 3: fees: tier 2 is from a volume of 1, limit above 2");
    refused("fees: { window_days: 32 }\n", "f.yaml line 1: fees.window_days is 32");
    config_t *c = taken("venue: { queue: prob_power3:2, trades_take: yes }\n"
                        "latency: { place: 1.5us, feed: \"histogram /x/lat.json engine.decide 2\", seed: 9 }\n"
                        "fees:\n  min_order: \"0.25\"\n  tiers:\n"
                        "    - { from: \"1000\", maker_bps: \"-1.5\", taker_bps: \"4\" }\n");
    fee_cfg_t fee;
    assert_string_equal(c->venue.queue, "prob_power3:2");
    assert_int_equal(c->venue.trades_take, 1);
    assert_string_equal(c->latency.place, "1.5us");
    assert_string_equal(c->latency.ack, "");
    assert_int_equal(c->latency.seed, 9);
    assert_int_equal(config_fees(c, &fee), ERR_OK);
    assert_int_equal(fee.window_days, 30);
    assert_int_equal(fee.min_order_e8, 25000000);
    assert_int_equal(fee.tier_count, 1);
    assert_int_equal(fee.tiers[0].from_volume, 1000);
    assert_int_equal(fee.tiers[0].maker_rate_e8, -15000);
    printed_is_read_back(c);
    config_free(c);
}

static void test_shipped_files_and_what_show_prints(void **state)
{
    (void)state;
    config_t             *c    = NULL;
    config_instruments_t *list = NULL;
    assert_int_equal(config_load("configs/demo.yaml", &c), ERR_OK);
    assert_string_equal(c->instance, "demo");
    assert_int_equal(c->accounts_count, 4);
    assert_int_equal(c->strategies_count, 2);
    assert_int_equal(c->journal.start, START_NEW);
    assert_int_equal(c->lanes.clients_count, 2);
    assert_string_equal(c->lanes.clients[0].name, "desk");
    assert_string_equal(c->lanes.clients[1].name, CONFIG_OPERATOR);
    printed_is_read_back(c);
    config_free(c);
    c = taken(MONEY CLIENT "      accounts: [KRW]\n      user: nobody\n      on_close: keep\n"
                           "    - { name: b, rights: [check] }\n");
    printed_is_read_back(c);
    config_free(c);
    assert_int_equal(config_load(NULL, &c), ERR_OK);
    printed_is_read_back(c);
    config_free(c);
    c = taken(risk_of("USDT", "collar_bps", "77"));
    assert_int_equal(c->risk[0].collar_bps, 77);
    printed_is_read_back(c);
    config_free(c);
    c = taken(
        "journal: { dir: /var/x, durability: power, start: new, file_bytes: 1048576, max_bytes: 8388608 }\n"
        "rings: { md: 1024, exec: 2048, ord: 8192, jrn: 16384, ev: 1024 }\n"
        "run: { wait: spin, engine_cpu: 1, adapter_cpu: 0 }\ncapture: { files: [a.gz, ../b.gz], speed: \"0.5\" }\n");
    assert_string_equal(c->journal.dir, "/var/x");
    assert_true(c->journal.durability == DURABILITY_POWER && c->journal.start == START_NEW);
    assert_true(c->rings.md == 1024 && c->rings.exec == 2048 && c->run.wait == WAIT_SPIN && c->run.engine_cpu == 1);
    assert_int_equal(c->capture.files_count, 2);
    assert_string_equal(c->capture.files[1], "../b.gz");
    printed_is_read_back(c);
    config_free(c);
    assert_int_equal(config_instruments_load("configs/instruments.yaml", &list), ERR_OK);
    assert_true(list->instruments_count >= 5);
    config_instruments_free(list);
}

static void test_live_settings_are_refused(void **state)
{
    (void)state;
    refused("journal: { durability: disk }\n",
            "f.yaml line 1: journal.durability is \"disk\", allowed is one of: process power");
    refused("journal: { start: 1 }\n", "f.yaml line 1: journal.start is \"1\", allowed is one of: resume new");
    refused("journal: { start: \"resume new\" }\n",
            "f.yaml line 1: journal.start is \"resume new\", allowed is one of");
    refused("run: { wait: Spin }\n", "f.yaml line 1: run.wait is \"Spin\", allowed is one of: adaptive spin");
    refused("run: { engine_cpu: -2 }\n", "f.yaml line 1: run.engine_cpu is -2, allowed are -1 to 1023");
    refused("rings: { md: 1000 }\n", "f.yaml line 1: rings.md is 1000, allowed are 1024 to 1048576");
    refused("rings: { md: 1025 }\n", "f.yaml line 1: rings.md is 1025, which is no power of two");
    refused("rings: { ord: 4096 }\n", "f.yaml line 1: rings.ord is 4096, allowed are 8192 to 1048576");
    refused("journal: { file_bytes: 1048577 }\n",
            "f.yaml line 1: journal.file_bytes is 1048577, which is no multiple of 4096");
    static const char *const paths[] = {"journal", "a/b", "/a/../b", "/..", "/a/.", "/./a", "../x"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char yaml[64], want[128];
        snprintf(yaml, sizeof yaml, "journal: { dir: %s }\n", paths[i]);
        snprintf(want, sizeof want, "f.yaml line 1: journal.dir is \"%s\", allowed is an absolute path", paths[i]);
        refused(yaml, want);
    }
    refused("journal: { file_bytes: 1048576, max_bytes: 4194304000 }\n",
            "journal.max_bytes is 4194304000, that is 4000 files of journal.file_bytes 1048576, allowed are 2 to 200");
    refused("journal: { max_bytes: 67108864 }\n", "journal.max_bytes is 67108864, that is 1 files");
    refused("capture: { files: x }\n", "f.yaml line 1: capture.files must be a list, not a text");
    refused("capture: { speed: -1 }\n", "f.yaml line 1: capture.speed is \"-1\", allowed is a decimal from 0");
    env_refused("HWAL_JOURNAL_DIR", "x", "environment: HWAL_JOURNAL_DIR is \"x\", allowed is an absolute path");
    env_refused("HWAL_RUN_WAIT", "nap", "environment: HWAL_RUN_WAIT is \"nap\", allowed is one of: adaptive spin");
}

/* What a journal depends on changes the hash, each setting for itself; what it does not, does not. */
static void test_hash_is_of_what_an_engine_is_made_of(void **state)
{
    (void)state;
    static const char base[] = "accounts:\n  - { currency: USDT, initial: \"5\" }\nstrategies: [sma_cross]\n";
    static const struct {
        const char *yaml;
        bool        same;
    } rows[] = {
        {"instance: other\naccounts:\n  - { currency: USDT, initial: \"5\" }\nstrategies: [sma_cross]\n", true},
        {"engine: { epoch: 9 }\naccounts:\n  - { currency: USDT, initial: \"5\" }\nstrategies: [sma_cross]\n", true},
        {"market: { rate: 9 }\naccounts:\n  - { currency: USDT, initial: \"5\" }\nstrategies: [sma_cross]\n", true},
        {"rings: { md: 1024 }\naccounts:\n  - { currency: USDT, initial: \"5\" }\nstrategies: [sma_cross]\n", true},
        {"engine: { orders_max: 2048 }\naccounts:\n  - { currency: USDT, initial: \"5\" }\nstrategies: [sma_cross]\n",
         false},
        {"accounts:\n  - { currency: USDT, initial: \"6\" }\nstrategies: [sma_cross]\n", false},
        {"accounts:\n  - { currency: USDC, initial: \"5\" }\nstrategies: [sma_cross]\n", false},
        {"accounts:\n  - { currency: USDT, initial: \"5\" }\nstrategies: [market_maker]\n", false},
        {"accounts:\n  - { currency: USDT, initial: \"5\" }\n", false},
        {"strategies: [sma_cross]\n", false},
    };
    config_t      *c    = taken(base);
    const uint64_t want = config_hash(c);
    config_free(c);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        c = taken(rows[i].yaml);
        if ((config_hash(c) == want) != rows[i].same) {
            fail_msg("%s\n  %s", rows[i].yaml, rows[i].same ? "changes the hash" : "does not change the hash");
        }
        config_free(c);
    }
    c                     = taken(risk_of("USDT", "collar_bps", "77"));
    const uint64_t collar = config_hash(c);
    config_free(c);
    c = taken(risk_of("USDT", "collar_bps", "78"));
    assert_true(config_hash(c) != collar);
    config_free(c);
}

static void test_state_directory_and_single_settings(void **state)
{
    (void)state;
    char      path[256], *home = getenv("HOME"), *xdg = getenv("XDG_STATE_HOME");
    config_t *c = taken("instance: i1\n");
    setenv("HOME", "/h", 1);
    unsetenv("XDG_STATE_HOME");
    assert_int_equal(config_state_dir(c, path, sizeof path), ERR_OK);
    assert_string_equal(path, "/h/.local/state/hwal/i1");
    setenv("XDG_STATE_HOME", "/x", 1);
    assert_int_equal(config_state_dir(c, path, sizeof path), ERR_OK);
    assert_string_equal(path, "/x/hwal/i1");
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    assert_int_equal(config_state_dir(c, path, sizeof path), ERR_CONFIG);
    assert_int_equal(config_set(c, "journal", "dir", "/j"), ERR_OK);
    assert_int_equal(config_state_dir(c, path, sizeof path), ERR_OK);
    assert_string_equal(path, "/j");
    assert_int_equal(config_state_dir(c, path, 2), ERR_CONFIG);
    assert_int_equal(config_set(c, "", "instance", "i2"), ERR_OK);
    assert_string_equal(c->instance, "i2");
    assert_int_equal(config_set(c, "", "instance", "i 2"), ERR_CONFIG);
    assert_int_equal(config_set(c, "capture", "speed", "x"), ERR_CONFIG);
    assert_int_equal(config_set(c, "capture", "tempo", "1"), ERR_NOT_FOUND);
    config_free(c);
    if (home) {
        setenv("HOME", home, 1);
    }
    if (xdg) {
        setenv("XDG_STATE_HOME", xdg, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure_is_refused_with_line_and_key),
        cmocka_unit_test(test_files_that_cannot_be_read),
        cmocka_unit_test(test_whole_numbers_are_plain_and_in_range),
        cmocka_unit_test(test_models_of_the_simulated_venue),
        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_risk_names_the_exact_key),
        cmocka_unit_test(test_fees_and_instance),
        cmocka_unit_test(test_strategies),
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_money_and_limits),
        cmocka_unit_test(test_lanes_are_refused_with_line_and_key),
        cmocka_unit_test(test_lanes_leave_room_for_ids),
        cmocka_unit_test(test_lanes_are_in_the_hash),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_instruments),
        cmocka_unit_test(test_shipped_files_and_what_show_prints),
        cmocka_unit_test(test_live_settings_are_refused),
        cmocka_unit_test(test_hash_is_of_what_an_engine_is_made_of),
        cmocka_unit_test(test_state_directory_and_single_settings),
    };
    if (!mkdtemp(dir)) {
        return 1;
    }
    snprintf(file, sizeof file, "%s/f.yaml", dir);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(file);
    rmdir(dir);
    return failed;
}
