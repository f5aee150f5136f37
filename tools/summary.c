#include "tools/summary.h"

#include <inttypes.h>
#include <string.h>

#include "core/risk/risk_code.h"
#include "core/types/decimal.h"
#include "ipc/version.h"
#include "tools/models.h"

typedef struct money_text {
    char text[DECIMAL_TEXT_MAX];
} money_text_t;

static money_text_t money(int64_t value, int32_t exp)
{
    money_text_t out;
    decimal_format(value, exp > 0 ? (unsigned)exp : 0, out.text);
    return out;
}

static money_text_t price(const instrument_t *ins, int64_t px)
{
    return money(px, ins->def.px_exp);
}

static json_t *json_u64(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *json_hash(uint64_t hash)
{
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    return json_string(text);
}

/* "BTCUSDT"; with the market behind it where two feeds share the symbol. */
static void feed_name(const summary_t *s, uint32_t index, char out[48])
{
    const summary_feed_t *feed = &s->feeds[index];
    bool                  twin = false;
    for (uint32_t i = 0; i < s->feed_count; i++) {
        twin |= i != index && strcmp(s->feeds[i].ins->symbol, feed->ins->symbol) == 0;
    }
    snprintf(out, 48, twin ? "%s.%s" : "%s", feed->ins->symbol, feed->market);
}

json_t *summary_quality(uint64_t total, const char *what, uint64_t bad, const uint64_t findings[QUALITY_RULES])
{
    json_t *by_rule = json_object();
    for (quality_rule_t rule = QUALITY_TS; rule < QUALITY_RULES; rule++) {
        if (findings[rule]) {
            json_object_set_new(by_rule, quality_rule_str(rule), json_u64(findings[rule]));
        }
    }
    return json_pack("{s:o, s:o, s:o}", what, json_u64(total), "bad", json_u64(bad), "findings", by_rule);
}

void summary_quality_text(FILE *to, const char *indent, const json_t *quality)
{
    const char *rule, *what = json_object_get(quality, "bars") ? "bars" : "trades";
    json_t     *count;
    if (!quality) {
        return;
    }
    fprintf(to, "%squality: %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " %s break a rule:", indent,
            json_integer_value(json_object_get(quality, "bad")), json_integer_value(json_object_get(quality, what)),
            what);
    json_object_foreach(json_object_get(quality, "findings"), rule, count)
    {
        fprintf(to, " %s %" JSON_INTEGER_FORMAT, rule, json_integer_value(count));
    }
    fputc('\n', to);
}

static uint64_t order_count(view_t book) /* of single orders */
{
    return (uint64_t)mbo_order_count(l3_mbo(book.l3), SIDE_BUY) + mbo_order_count(l3_mbo(book.l3), SIDE_SELL);
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */
static json_t *feed_json(const summary_t *s, const summary_feed_t *feed)
{
    const instrument_t *ins  = feed->ins;
    const view_t        book = engine_market(s->run->engine, ins->def.instrument_id);
    const feed_stats_t *st   = &feed->stats;
    int64_t             bid, bid_qty, ask, ask_qty;
    view_best(book, &bid, &bid_qty, &ask, &ask_qty);
    json_t *o = json_pack("{s:s, s:s, s:i, s:s, s:s}", "symbol", ins->symbol, "market", feed->market, "instrument_id",
                          (int)ins->def.instrument_id, "health", feed_health_str(view_health(book)), "reason",
                          feed_reason_str(view_reason(book)));
    const struct {
        const char *name;
        uint64_t    value;
    } counts[] = {{"diffs", st->diffs},
                  {"diffs_buffered", st->diffs_buffered},
                  {"diffs_dropped", st->diffs_dropped},
                  {"diffs_applied", st->diffs_applied},
                  {"gaps", st->gaps},
                  {"snapshots", st->snapshots},
                  {"trades", st->trades},
                  {"trade_gaps", st->trade_gaps},
                  {"tops", st->tops},
                  {"garbled", st->garbled},
                  {"off_scale", st->off_scale},
                  {"book_faults", feed->book_faults},
                  {"last_update_id", st->last_update_id},
                  {"bid_levels", view_level_count(book, SIDE_BUY)},
                  {"ask_levels", view_level_count(book, SIDE_SELL)}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        json_object_set_new(o, counts[i].name, json_u64(counts[i].value));
    }
    json_object_set_new(o, "best_bid", bid_qty ? json_string(price(ins, bid).text) : json_null());
    json_object_set_new(o, "best_ask", ask_qty ? json_string(price(ins, ask).text) : json_null());
    json_object_set_new(o, "best_bid_qty", json_string(money(bid_qty, ins->def.qty_exp).text));
    json_object_set_new(o, "best_ask_qty", json_string(money(ask_qty, ins->def.qty_exp).text));
    if (book.kind == VIEW_L3) {
        json_object_set_new(o, "orders", json_u64(order_count(book)));
    }
    if (s->check) {
        json_object_set_new(o, "oracle",
                            json_pack("{s:o, s:o}", "checked", json_u64(feed->oracle.checked), "mismatched",
                                      json_u64(feed->oracle.mismatched)));
    }
    if (feed->tape.bad) {
        json_object_set_new(o, "quality",
                            summary_quality(feed->tape.trades, "trades", feed->tape.bad, feed->tape.findings));
    }
    if (feed->bars) {
        json_object_set_new(o, "bars", replay_bars_json(feed->bars));
    }
    return o;
}

static json_t *account_json(const portfolio_account_t *a)
{
    const struct {
        const char *name;
        int64_t     value;
    } rows[]  = {{"initial", a->initial},
                 {"equity", a->equity},
                 {"realised", a->realised},
                 {"unrealised", a->unrealised},
                 {"fees", a->fees},
                 {"funding", a->funding},
                 {"net", a->realised + a->unrealised - a->fees + a->funding},
                 {"drawdown", a->drawdown}};
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_object_set_new(o, rows[i].name, json_string(money(rows[i].value, a->money_exp).text));
    }
    return o;
}

static json_t *position_json(const instrument_t *ins, const position_t *p)
{
    const int32_t exp = ins->def.money_exp;
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s}", "account", (int)p->account_id, "qty",
                     money(p->qty, ins->def.qty_exp).text, "realised", money(p->realised, exp).text, "unrealised",
                     money(p->unrealised, exp).text, "fees", money(p->fees, exp).text, "net",
                     money(p->realised + p->unrealised - p->fees + p->funding, exp).text, "mark",
                     price(ins, p->mark_px).text);
}

static json_t *latency_json(const histogram_t *h, double ns_per_tsc)
{
    static histogram_copy_t copy;
    histogram_copy(h, &copy);
    const struct {
        const char *name;
        uint64_t    ticks;
    } rows[]  = {{"p50", histogram_quantile(&copy, 500000)},
                 {"p99", histogram_quantile(&copy, 990000)},
                 {"p999", histogram_quantile(&copy, 999000)},
                 {"max", copy.max}};
    json_t *o = json_pack("{s:o}", "n", json_u64(copy.count));
    for (size_t i = 0; i < 4; i++) {
        json_object_set_new(o, rows[i].name, json_u64((uint64_t)((double)rows[i].ticks * ns_per_tsc)));
    }
    return o;
}

json_t *summary_json(const summary_t *s)
{
    const offline_counts_t *c      = &s->run->counts;
    const engine_t         *engine = s->run->engine;
    json_t                 *feeds = json_object(), *pnl = json_object(), *by_instrument = json_object();
    json_t                 *codes = json_object(), *alarms = json_object();
    char                    name[48];
    for (uint32_t i = 0; i < s->feed_count; i++) {
        position_t p;
        json_t    *positions = json_array();
        feed_name(s, i, name);
        json_object_set_new(feeds, name, feed_json(s, &s->feeds[i]));
        for (uint32_t a = 1; a <= s->run->setup.account_count; a++) {
            if (portfolio_position(engine_portfolio(engine), a, s->feeds[i].ins->def.instrument_id, &p)) {
                json_array_append_new(positions, position_json(s->feeds[i].ins, &p));
            }
        }
        json_object_set_new(by_instrument, name, positions);
    }
    for (uint32_t a = 1; a <= s->run->setup.account_count; a++) {
        portfolio_account_t account;
        char                ccy[9];
        for (uint32_t k = 0; portfolio_account(engine_portfolio(engine), a, k, &account); k++) {
            json_object_set_new(pnl, ccy_text(account.ccy, ccy), account_json(&account));
        }
    }
    for (uint32_t i = 0; i < OFFLINE_CODES; i++) {
        if (c->denied_by_code[i]) {
            json_object_set_new(codes, risk_code_str((uint16_t)i), json_u64(c->denied_by_code[i]));
        }
    }
    for (uint32_t i = 0; i < ALARM_KIND_COUNT; i++) {
        if (c->alarms_by_kind[i]) {
            json_object_set_new(alarms, alarm_kind_str((alarm_kind_t)i), json_u64(c->alarms_by_kind[i]));
        }
    }
    json_t *o =
        json_pack("{s:s, s:s, s:s}", "command", s->command, "version", HWAL_VERSION, "build", version_build_id());
    const struct {
        const char *key;
        uint64_t    value;
    } counts[] = {{"events", s->events},     {"lines_bad", s->lines_bad},
                  {"messages", c->messages}, {"orders", c->orders},
                  {"replaces", c->replaces}, {"cancels", c->cancels},
                  {"fills", c->fills},       {"rejected", c->rejected},
                  {"denied", c->denied},     {"open_orders", order_open_count(engine_orders(engine))}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        json_object_set_new(o, counts[i].key, json_u64(counts[i].value));
    }
    json_object_set_new(o, "models", models_json(s->run->config));
    json_object_set_new(o, "denied_by_code", codes);
    json_object_set_new(o, "alarms", alarms);
    json_object_set_new(o, "feeds", feeds);
    json_object_set_new(o, "pnl", pnl);
    json_object_set_new(o, "positions", by_instrument);
    json_object_set_new(o, "state_hash", json_hash(engine_state_hash(engine)));
    json_object_set_new(o, "output_hash", json_hash(engine_output_hash(engine)));
    json_object_set_new(o, "events_per_s",
                        json_u64((uint64_t)((double)s->events / (s->seconds_wall > 0 ? s->seconds_wall : 1))));
    json_object_set_new(o, "seconds_wall", json_real(s->seconds_wall));
    json_object_set_new(o, "seconds_market", json_real(s->seconds_market));
    json_object_set_new(o, "latency_ns",
                        json_pack("{s:o, s:o}", "event", latency_json(s->run->event, s->ns_per_tsc), "event_with_order",
                                  latency_json(s->run->decide, s->ns_per_tsc)));
    json_object_set_new(o, "memory_bytes", json_u64(s->run->bytes));
    json_object_set(o, "notes", s->notes);
    json_object_set(o, "errors", s->errors);
    return o;
}

/* ---- text -------------------------------------------------------------------------------------------------------- */
static void latency_text(FILE *to, const char *name, const histogram_t *h, double ns_per_tsc)
{
    static histogram_copy_t copy;
    const double            k = ns_per_tsc / 1000.0;
    histogram_copy(h, &copy);
    fprintf(to, "  %-26s %10" PRIu64 " %10.2f %10.2f %10.2f %10.1f\n", name, copy.count,
            (double)histogram_quantile(&copy, 500000) * k, (double)histogram_quantile(&copy, 990000) * k,
            (double)histogram_quantile(&copy, 999000) * k, (double)copy.max * k);
}

static void books_text(const summary_t *s, FILE *to, const char *bold, const char *plain)
{
    char name[48];
    fprintf(to, "\n%sBooks%s%*s %-10s %14s %14s %13s %10s %6s %10s%s\n", bold, plain, 13, "", "health", "best bid",
            "best ask", "levels", "diffs", "gaps", "trades", s->check ? "  oracle: checked, differ" : "");
    for (uint32_t i = 0; i < s->feed_count; i++) {
        const summary_feed_t *f    = &s->feeds[i];
        const view_t          book = engine_market(s->run->engine, f->ins->def.instrument_id);
        int64_t               bid, bid_qty, ask, ask_qty;
        char                  levels[32];
        view_best(book, &bid, &bid_qty, &ask, &ask_qty);
        feed_name(s, i, name);
        snprintf(levels, sizeof levels, "%u,%u", view_level_count(book, SIDE_BUY), view_level_count(book, SIDE_SELL));
        fprintf(to, "  %-16s %-10s %14s %14s %13s %10" PRIu64 " %6" PRIu64 " %10" PRIu64, name,
                feed_health_str(view_health(book)), bid_qty ? price(f->ins, bid).text : "-",
                ask_qty ? price(f->ins, ask).text : "-", levels, f->stats.diffs_applied, f->stats.gaps,
                f->stats.trades);
        if (s->check) {
            fprintf(to, "  %" PRIu64 ", %" PRIu64, f->oracle.checked, f->oracle.mismatched);
        }
        fputc('\n', to);
        if (book.kind == VIEW_L3) {
            fprintf(to, "    %" PRIu64 " single orders; best %s x %s\n", order_count(book),
                    money(bid_qty, f->ins->def.qty_exp).text, money(ask_qty, f->ins->def.qty_exp).text);
        }
        if (f->tape.bad) {
            json_t *quality = summary_quality(f->tape.trades, "trades", f->tape.bad, f->tape.findings);
            summary_quality_text(to, "    ", quality);
            json_decref(quality);
        }
        if (f->bars) {
            replay_bars_text(to, "    ", f->bars);
        }
    }
}

static void pnl_text(const summary_t *s, FILE *to, const char *bold, const char *plain)
{
    char name[48], ccy[9];
    fprintf(to, "\n%sProfit and loss%s%*s %16s %16s %16s %16s %16s\n", bold, plain, 7, "", "position", "realised",
            "unrealised", "fees", "net");
    for (uint32_t i = 0; i < s->feed_count; i++) {
        const instrument_t *ins = s->feeds[i].ins;
        const int32_t       exp = ins->def.money_exp;
        position_t          p;
        feed_name(s, i, name);
        for (uint32_t a = 1; a <= s->run->setup.account_count; a++) {
            if (portfolio_position(engine_portfolio(s->run->engine), a, ins->def.instrument_id, &p)) {
                fprintf(to, "  %-16s %-4s %15s %16s %16s %16s %16s\n", name, ccy_text(ins->def.settle_ccy, ccy),
                        money(p.qty, ins->def.qty_exp).text, money(p.realised, exp).text, money(p.unrealised, exp).text,
                        money(p.fees, exp).text, money(p.realised + p.unrealised - p.fees + p.funding, exp).text);
            }
        }
    }
    for (uint32_t a = 1; a <= s->run->setup.account_count; a++) {
        portfolio_account_t t;
        for (uint32_t k = 0; portfolio_account(engine_portfolio(s->run->engine), a, k, &t); k++) {
            fprintf(to, "  account %-8u %-4s %15s %16s %16s %16s %16s   equity %s\n", a, ccy_text(t.ccy, ccy), "",
                    money(t.realised, t.money_exp).text, money(t.unrealised, t.money_exp).text,
                    money(t.fees, t.money_exp).text,
                    money(t.realised + t.unrealised - t.fees + t.funding, t.money_exp).text,
                    money(t.equity, t.money_exp).text);
        }
    }
}

void summary_text(const summary_t *s, FILE *to, bool colour)
{
    const offline_counts_t *c = &s->run->counts;
    const char  *bold = colour ? "\033[1m" : "", *plain = colour ? "\033[0m" : "", *red = colour ? "\033[31m" : "";
    const double wall = s->seconds_wall > 0 ? s->seconds_wall : 1;
    size_t       i;
    json_t      *text;
    fprintf(to, "%s%s%s: %" PRIu64 " %s, %.1f s of market in %.2f s (%.0f a second", bold, s->command, plain, s->events,
            s->bytes ? "lines" : "market events", s->seconds_market, s->seconds_wall, (double)s->events / wall);
    fprintf(to, s->bytes ? ", %.0f MB/s of text)\n" : ")\n", (double)s->bytes / wall / 1e6);
    books_text(s, to, bold, plain);
    fprintf(to,
            "\n%sOrders%s  new %" PRIu64 "  replaced %" PRIu64 "  cancels %" PRIu64 "  fills %" PRIu64
            "  rejected by the venue %" PRIu64 "  denied by risk %" PRIu64 "  open now %u\n",
            bold, plain, c->orders, c->replaces, c->cancels, c->fills, c->rejected, c->denied,
            order_open_count(engine_orders(s->run->engine)));
    for (uint32_t k = 0; k < OFFLINE_CODES; k++) {
        if (c->denied_by_code[k]) {
            fprintf(to, "  denied %u %-28s %" PRIu64 "\n", k, risk_code_str((uint16_t)k), c->denied_by_code[k]);
        }
    }
    for (uint32_t k = 0; k < ALARM_KIND_COUNT; k++) {
        if (c->alarms_by_kind[k]) {
            fprintf(to, "  alarm %-32s %" PRIu64 "\n", alarm_kind_str((alarm_kind_t)k), c->alarms_by_kind[k]);
        }
    }
    pnl_text(s, to, bold, plain);
    fprintf(to, "\n%sLatency, us%s%*s %10s %10s %10s %10s %10s\n", bold, plain, 17, "", "count", "p50", "p99", "p99.9",
            "max");
    latency_text(to, s->bytes ? "line in to outputs written" : "event to outputs written", s->run->event,
                 s->ns_per_tsc);
    latency_text(to, "the same, with an order", s->run->decide, s->ns_per_tsc);
    fprintf(to, "  on: parse%s, book, strategies, risk, order state, portfolio, output hash\n", s->bytes ? "" : " off");
    fprintf(to, "\nstate hash %016" PRIx64 "  output hash %016" PRIx64 "  memory %.1f MiB\n",
            engine_state_hash(s->run->engine), engine_output_hash(s->run->engine), (double)s->run->bytes / 1048576.0);
    char models[1024];
    models_text(s->run->config, models, sizeof models);
    fprintf(to, "models: %s\n", models);
    json_array_foreach(s->notes, i, text)
    {
        fprintf(to, "note: %s\n", json_string_value(text));
    }
    json_array_foreach(s->errors, i, text)
    {
        fprintf(to, "%sfault: %s%s\n", red, json_string_value(text), plain);
    }
    fprintf(to, "\nnext: %s\n",
            s->bytes
                ? (s->check ? "--strategy market_maker:help to see its settings; --json for programs"
                            : "--check compares the book with the venue's own quotes; --json for programs")
                : "`hwal replay --generate --seconds 60 --rate 50000`, `hwal replay CAPTURE --check`, `hwal bench`");
}
