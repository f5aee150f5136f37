/* hwal books, orders, positions, feeds, lat: published records and histograms of the engine. */
#include "tools/views.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/types/decimal.h"
#include "ipc/role.h"
#include "tools/command.h"
#include "tools/describe.h"

#define FEEDS_SAMPLE_MS 250u
#define BOOK_LEVELS 5u

bool view_open(uint8_t ord_status)
{
    return ord_status == ORD_STATUS_NEW || ord_status == ORD_STATUS_PARTIALLY_FILLED ||
           ord_status == ORD_STATUS_PENDING_NEW || ord_status == ORD_STATUS_PENDING_CANCEL ||
           ord_status == ORD_STATUS_PENDING_REPLACE || ord_status == ORD_STATUS_UNKNOWN ||
           ord_status == ORD_STATUS_SUSPENDED;
}

json_t *view_head(const attach_t *a)
{
    const int64_t age = attach_age_ns(a, ROLE_ENGINE);
    json_t       *o   = json_object();
    json_object_set_new(o, "instance", json_string(a->instance));
    json_object_set_new(o, "stale", json_boolean(attach_stale(a)));
    json_object_set_new(o, "heartbeat_age_ms", age < 0 ? json_null() : json_integer(age / NS_PER_MS));
    return o;
}

static json_t *age_ms(int64_t utc_ns)
{
    return utc_ns == 0 ? json_null() : json_integer((role_utc_ns() - utc_ns) / NS_PER_MS);
}

/* ---- books --------------------------------------------------------------------------------------------------------- */
static int dearest_first(const void *a, const void *b)
{
    const level_t *x = a, *y = b;
    return x->px > y->px ? -1 : x->px < y->px;
}

static int cheapest_first(const void *a, const void *b)
{
    return dearest_first(b, a);
}

static json_t *levels_json(const attach_instrument_t *ins, const level_t *levels, uint32_t count, uint32_t max)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count && i < max; i++) {
        json_t *level = json_object();
        json_object_set_new(level, "px", describe_decimal(levels[i].px, ins->def.px_exp));
        json_object_set_new(level, "qty", describe_decimal(levels[i].qty, ins->def.qty_exp));
        json_array_append_new(list, level);
    }
    return list;
}

static void put_side(json_t *row, const char *px, const char *qty, const attach_instrument_t *ins, const level_t *best)
{
    json_object_set_new(row, px, best ? describe_decimal(best->px, ins->def.px_exp) : json_null());
    json_object_set_new(row, qty, best ? describe_decimal(best->qty, ins->def.qty_exp) : json_null());
}

static void put_book(json_t *row, const attach_instrument_t *ins, const msg_t *msg, uint32_t levels)
{
    const book_update_t *book = msg->body;
    level_t              side[BOOK_UPDATE_MAX_LEVELS];
    const uint32_t       bids = book->bid_count, asks = book->ask_count;
    if (bids + asks > msg->tail_count || bids + asks > BOOK_UPDATE_MAX_LEVELS) {
        return;
    }
    memcpy(side, msg->tail, (bids + asks) * sizeof side[0]);
    qsort(side, bids, sizeof side[0], dearest_first);
    qsort(side + bids, asks, sizeof side[0], cheapest_first);
    put_side(row, "bid_px", "bid_qty", ins, bids ? side : NULL);
    put_side(row, "ask_px", "ask_qty", ins, asks ? side + bids : NULL);
    json_object_set_new(row, "spread",
                        bids && asks ? describe_decimal(side[bids].px - side[0].px, ins->def.px_exp) : json_null());
    json_object_set_new(row, "event_seq", table_u64(book->rpt_seq)); /* the engine's, in published books */
    json_object_set_new(row, "age_ms", age_ms(book->ts_recv_ns));
    json_object_set_new(row, "bids", levels_json(ins, side, bids, levels));
    json_object_set_new(row, "asks", levels_json(ins, side + bids, asks, levels));
}

/* place: the record about one instrument, of the type that belongs there. */
static bool place(attach_t *a, record_id_t id, const attach_instrument_t *ins, msg_type_t type, attach_message_t *m)
{
    records_reader_t reader;
    return attach_records(a, id, &reader) && attach_record(a, &reader, ins->def.instrument_id - 1, m) == ERR_OK &&
           m->msg.type == type;
}

static void put_health(json_t *row, attach_t *a, const attach_instrument_t *ins, attach_message_t *m)
{
    const bool          known = place(a, RECORD_ID_FEEDS, ins, MSG_FEED_STATE, m);
    const feed_state_t *feed  = m->msg.body;
    json_object_set_new(row, "health", json_string(known ? feed_health_str((feed_health_t)feed->health) : "NONE"));
    json_object_set_new(row, "reason", json_string(known ? feed_reason_str((feed_reason_t)feed->reason) : "NONE"));
}

static json_t *instrument_row(const attach_instrument_t *ins)
{
    json_t *row = json_object();
    json_object_set_new(row, "symbol", command_text(ins->symbol));
    json_object_set_new(row, "instrument_id", table_u64(ins->def.instrument_id));
    json_object_set_new(row, "venue_id", table_u64(ins->def.venue_id));
    return row;
}

static const char *const day_keys[] = {"day",    "open_px",  "high_px", "low_px",       "vwap_px",
                                       "volume", "turnover", "trades",  "prev_close_px"};

/* put_day: the trading day so far; what it has not is null, all of it when nothing was published. */
static void put_day(json_t *row, const attach_instrument_t *ins, const statistics_t *s)
{
    for (size_t i = 0; i < sizeof day_keys / sizeof day_keys[0]; i++) {
        json_object_set_new(row, day_keys[i], json_null());
    }
    const int px_exp = ins->def.px_exp, exp = px_exp + ins->def.qty_exp;
    if (!s || px_exp < 0 || exp < px_exp || exp > DECIMAL_EXP_MAX) {
        return;
    }
    char text[DECIMAL_TEXT_MAX];
    describe_time(s->day_utc_ns, text);
    text[10] = '\0'; /* the day alone */
    json_object_set_new(row, "day", json_string(text));
    json_object_set_new(row, "trades", table_u64(s->trades));
    if (s->trades) {
        json_object_set_new(row, "open_px", describe_decimal(s->open_px, px_exp));
        json_object_set_new(row, "high_px", describe_decimal(s->high_px, px_exp));
        json_object_set_new(row, "low_px", describe_decimal(s->low_px, px_exp));
    }
    if (s->prev_close_qty) {
        json_object_set_new(row, "prev_close_px", describe_decimal(s->prev_close_px, px_exp));
    }
    if (s->flags & STATISTICS_OVERFLOW) {
        return; /* the sums are of a part of the day */
    }
    decimal_format_i128((i128_t)((u128_t)(uint64_t)s->turnover_hi << 64 | s->turnover_lo), (unsigned)exp, text);
    json_object_set_new(row, "turnover", json_string(text));
    json_object_set_new(row, "volume", describe_decimal(s->volume, ins->def.qty_exp));
    json_object_set_new(row, "vwap_px", s->volume ? describe_decimal(s->vwap_px, px_exp) : json_null());
}

static json_t *book_row(attach_t *a, const attach_instrument_t *ins, uint32_t levels)
{
    attach_message_t m;
    json_t          *row = instrument_row(ins);
    put_health(row, a, ins, &m);
    put_side(row, "bid_px", "bid_qty", ins, NULL);
    put_side(row, "ask_px", "ask_qty", ins, NULL);
    json_object_set_new(row, "spread", json_null());
    json_object_set_new(row, "event_seq", json_null());
    json_object_set_new(row, "age_ms", json_null());
    json_object_set_new(row, "bids", json_array());
    json_object_set_new(row, "asks", json_array());
    if (place(a, RECORD_ID_BOOKS, ins, MSG_BOOK_UPDATE, &m)) {
        put_book(row, ins, &m.msg, levels);
    }
    const bool     traded = place(a, RECORD_ID_TRADES, ins, MSG_TRADE, &m);
    const trade_t *trade  = m.msg.body;
    json_object_set_new(row, "last_px", traded ? describe_decimal(trade->px, ins->def.px_exp) : json_null());
    json_object_set_new(row, "last_qty", traded ? describe_decimal(trade->qty, ins->def.qty_exp) : json_null());
    put_day(row, ins, place(a, RECORD_ID_STATISTICS, ins, MSG_STATISTICS, &m) ? m.msg.body : NULL);
    return row;
}

json_t *view_books(attach_t *a, const attach_instrument_t *only, uint32_t levels)
{
    json_t *view = view_head(a), *books = json_array();
    for (uint32_t i = 1; i <= a->instrument_max; i++) {
        const attach_instrument_t *ins = attach_instrument(a, i);
        if (ins && (!only || only == ins)) {
            json_array_append_new(books, book_row(a, ins, levels));
        }
    }
    json_object_set_new(view, "books", books);
    return view;
}

static const column_t book_columns[] = {
    {"instrument_id", "id", COLUMN_NUMBER},
    {"symbol", "symbol", COLUMN_TEXT},
    {"health", "health", COLUMN_STATE},
    {"reason", "reason", COLUMN_TEXT},
    {"bid_qty", "qty", COLUMN_NUMBER},
    {"bid_px", "bid", COLUMN_NUMBER},
    {"ask_px", "ask", COLUMN_NUMBER},
    {"ask_qty", "qty", COLUMN_NUMBER},
    {"spread", "spread", COLUMN_NUMBER},
    {"last_px", "last", COLUMN_NUMBER},
    {"age_ms", "age ms", COLUMN_NUMBER},
    {"event_seq", "event", COLUMN_NUMBER},
    {"day", "day", COLUMN_TEXT},
    {"open_px", "open", COLUMN_NUMBER},
    {"high_px", "high", COLUMN_NUMBER},
    {"low_px", "low", COLUMN_NUMBER},
    {"vwap_px", "vwap", COLUMN_NUMBER},
    {"volume", "volume", COLUMN_NUMBER},
    {"turnover", "turnover", COLUMN_NUMBER},
    {"trades", "trades", COLUMN_NUMBER},
    {"prev_close_px", "close before", COLUMN_NUMBER},
};
#define BOOK_COLUMNS 12u /* of them for the book; then those of its day */
#define DAY_COLUMNS (sizeof book_columns / sizeof book_columns[0] - BOOK_COLUMNS)
#define COLUMNS(list) (list), sizeof(list) / sizeof((list)[0])

/* The trading days, under the books. */
static void days_text(FILE *to, const json_t *books, bool colour)
{
    column_t columns[1 + DAY_COLUMNS] = {{"symbol", "symbol", COLUMN_TEXT}};
    memcpy(columns + 1, book_columns + BOOK_COLUMNS, DAY_COLUMNS * sizeof columns[0]);
    table_title(to, "Trading day (UTC)", colour);
    table_text(to, COLUMNS(columns), books, colour);
}

static void ladder_text(FILE *to, const json_t *book, bool colour)
{
    const json_t *bids = json_object_get(book, "bids"), *asks = json_object_get(book, "asks");
    json_t       *rows = json_array();
    char          title[64];
    for (size_t i = 0; i < json_array_size(bids) || i < json_array_size(asks); i++) {
        json_t *row = json_object();
        json_object_set(row, "bid_qty", json_object_get(json_array_get(bids, i), "qty"));
        json_object_set(row, "bid_px", json_object_get(json_array_get(bids, i), "px"));
        json_object_set(row, "ask_px", json_object_get(json_array_get(asks, i), "px"));
        json_object_set(row, "ask_qty", json_object_get(json_array_get(asks, i), "qty"));
        json_array_append_new(rows, row);
    }
    static const column_t columns[] = {{"bid_qty", "qty", COLUMN_NUMBER},
                                       {"bid_px", "bid", COLUMN_NUMBER},
                                       {"ask_px", "ask", COLUMN_NUMBER},
                                       {"ask_qty", "qty", COLUMN_NUMBER}};
    snprintf(title, sizeof title, "%s", json_string_value(json_object_get(book, "symbol")));
    table_title(to, title, colour);
    table_text(to, COLUMNS(columns), rows, colour);
    json_decref(rows);
}

void view_books_text(FILE *to, const json_t *view, bool colour)
{
    const json_t *books = json_object_get(view, "books");
    size_t        i;
    json_t       *book;
    table_text(to, book_columns, BOOK_COLUMNS, books, colour);
    if (json_array_size(books) > 0) {
        days_text(to, books, colour);
    }
    json_array_foreach(books, i, book)
    {
        if (json_array_size(books) == 1) { /* one was asked for: its levels too */
            ladder_text(to, book, colour);
        }
    }
}

/* ---- orders, positions, accounts ----------------------------------------------------------------------------------- */
static int by_event(const void *a, const void *b)
{
    json_t *const *x = a, *const *y = b;
    const uint64_t m = (uint64_t)json_integer_value(json_object_get(*x, "event_seq"));
    const uint64_t n = (uint64_t)json_integer_value(json_object_get(*y, "event_seq"));
    return m > n ? -1 : m < n;
}

/* records: every place of an array that keep wants, described; newest first. */
static json_t *records(attach_t *a, record_id_t id, msg_type_t type, bool (*keep)(const msg_t *msg))
{
    records_reader_t reader;
    attach_message_t m;
    size_t           count = 0;
    json_t          *list  = json_array();
    json_t         **rows  = attach_records(a, id, &reader) ? calloc(reader.count, sizeof(json_t *)) : NULL;
    for (uint32_t i = 0; rows && i < reader.count; i++) {
        if (attach_record(a, &reader, i, &m) == ERR_OK && m.msg.type == type && keep(&m.msg)) {
            rows[count] = json_object();
            describe_fields(rows[count++], a, &m.msg);
        }
    }
    if (count > 0) {
        qsort(rows, count, sizeof(json_t *), by_event);
    }
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, rows[i]);
    }
    free(rows);
    return list;
}

static bool keep_all(const msg_t *msg)
{
    return msg->type != MSG_ORDER || ((const order_record_t *)msg->body)->cl_ord_id != 0; /* 0: a row not in use */
}

static bool keep_held_all(const msg_t *msg)
{
    return ((const held_record_t *)msg->body)->cl_ord_id != 0;
}

static bool keep_held(const msg_t *msg)
{
    return keep_held_all(msg) && ((const held_record_t *)msg->body)->state != HELD_DONE;
}

/* Currencies that were ever used, and parts that are or were something. */
static bool keep_balance(const msg_t *msg)
{
    return ((const balance_t *)msg->body)->ccy != 0;
}

static bool keep_part(const msg_t *msg)
{
    return ((const sub_position_t *)msg->body)->instrument_id != 0;
}

static bool keep_open(const msg_t *msg)
{
    return view_open(((const order_record_t *)msg->body)->ord_status);
}

json_t *view_orders(attach_t *a, bool all)
{
    json_t *view = view_head(a);
    json_object_set_new(view, "orders", records(a, RECORD_ID_ORDERS, MSG_ORDER, all ? keep_all : keep_open));
    json_object_set_new(view, "held", records(a, RECORD_ID_HELD, MSG_HELD_ORDER, all ? keep_held_all : keep_held));
    return view;
}

static const column_t order_columns[] = {
    {"cl_ord_id", "ClOrdID", COLUMN_NUMBER},
    {"instrument_id", "id", COLUMN_NUMBER},
    {"symbol", "Symbol", COLUMN_TEXT},
    {"account_id", "Acct", COLUMN_NUMBER},
    {"strategy_id", "Strat", COLUMN_NUMBER},
    {"side", "Side", COLUMN_TEXT},
    {"ord_type", "OrdType", COLUMN_TEXT},
    {"tif", "TIF", COLUMN_TEXT},
    {"px", "Price", COLUMN_NUMBER},
    {"order_qty", "OrderQty", COLUMN_NUMBER},
    {"cum_qty", "CumQty", COLUMN_NUMBER},
    {"leaves_qty", "LeavesQty", COLUMN_NUMBER},
    {"avg_px", "AvgPx", COLUMN_NUMBER},
    {"ord_status", "OrdStatus", COLUMN_TEXT},
    {"order_id_lo", "OrderID", COLUMN_NUMBER},
};

static const column_t held_columns[] = {
    {"cl_ord_id", "ClOrdID", COLUMN_NUMBER},
    {"list_id", "ListID", COLUMN_NUMBER},
    {"symbol", "Symbol", COLUMN_TEXT},
    {"account_id", "Acct", COLUMN_NUMBER},
    {"side", "Side", COLUMN_TEXT},
    {"ord_type", "OrdType", COLUMN_TEXT},
    {"tif", "TIF", COLUMN_TEXT},
    {"contingency", "Contingency", COLUMN_TEXT},
    {"algo", "Algo", COLUMN_TEXT},
    {"stop_px", "StopPx", COLUMN_NUMBER},
    {"px", "Price", COLUMN_NUMBER},
    {"order_qty", "OrderQty", COLUMN_NUMBER},
    {"cum_qty", "CumQty", COLUMN_NUMBER},
    {"leaves_qty", "LeavesQty", COLUMN_NUMBER},
    {"avg_px", "AvgPx", COLUMN_NUMBER},
    {"state", "state", COLUMN_TEXT},
    {"ord_status", "OrdStatus", COLUMN_TEXT},
    {"working_id", "working", COLUMN_NUMBER},
};

void view_orders_text(FILE *to, const json_t *view, bool colour)
{
    const json_t *held = json_object_get(view, "held");
    table_text(to, COLUMNS(order_columns), json_object_get(view, "orders"), colour);
    if (json_array_size(held) > 0) {
        table_title(to, "Held by the engine", colour);
        table_text(to, COLUMNS(held_columns), held, colour);
    }
}

/* put_net: realised + unrealised - fees + funding, summed as the integers they are. */
static void put_net(json_t *rows)
{
    size_t  i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        static const struct {
            const char *key;
            int         sign;
        } parts[]    = {{"realised", 1}, {"unrealised", 1}, {"fees", -1}, {"funding", 1}};
        i128_t sum   = 0;
        size_t exp   = 0;
        bool   known = true;
        for (size_t k = 0; k < 4; k++) {
            const char *text  = json_string_value(json_object_get(row, parts[k].key));
            int64_t     value = 0;
            const char *point = text ? strchr(text, '.') : NULL;
            exp               = point ? strlen(point + 1) : 0;
            known &= text && decimal_parse(text, strlen(text), (unsigned)exp, &value) == ERR_OK;
            sum += parts[k].sign * (i128_t)value;
        }
        char out[DECIMAL_TEXT_MAX];
        decimal_format_i128(sum, (unsigned)exp, out);
        json_object_set_new(row, "net_pnl", known ? json_string(out) : json_null());
    }
}

json_t *view_positions(attach_t *a)
{
    json_t *view      = view_head(a);
    json_t *accounts  = records(a, RECORD_ID_ACCOUNTS, MSG_ACCOUNT, keep_all);
    json_t *positions = records(a, RECORD_ID_POSITIONS, MSG_POSITION, keep_all);
    put_net(accounts);
    put_net(positions);
    json_object_set_new(view, "accounts", accounts);
    json_object_set_new(view, "positions", positions);
    json_object_set_new(view, "balances", records(a, RECORD_ID_BALANCES, MSG_BALANCE, keep_balance));
    json_t *parts = records(a, RECORD_ID_SUB_POSITIONS, MSG_SUB_POSITION, keep_part);
    put_net(parts);
    json_object_set_new(view, "parts", parts);
    return view;
}

static const column_t position_columns[] = {
    {"account_id", "account", COLUMN_NUMBER}, {"instrument_id", "id", COLUMN_NUMBER},
    {"symbol", "symbol", COLUMN_TEXT},        {"qty", "position", COLUMN_SIGNED},
    {"mark_px", "mark", COLUMN_NUMBER},       {"cost", "cost", COLUMN_NUMBER},
    {"realised", "realised", COLUMN_SIGNED},  {"unrealised", "unrealised", COLUMN_SIGNED},
    {"fees", "fees", COLUMN_NUMBER},          {"funding", "funding", COLUMN_SIGNED},
    {"net_pnl", "net", COLUMN_SIGNED},
};
static const column_t account_columns[] = {
    {"account_id", "account", COLUMN_NUMBER},
    {"ccy", "ccy", COLUMN_TEXT},
    {"state", "state", COLUMN_STATE},
    {"equity", "equity", COLUMN_NUMBER},
    {"cash", "cash", COLUMN_NUMBER},
    {"realised", "realised", COLUMN_SIGNED},
    {"unrealised", "unrealised", COLUMN_SIGNED},
    {"fees", "fees", COLUMN_NUMBER},
    {"net_pnl", "net", COLUMN_SIGNED},
    {"pnl_day", "day", COLUMN_SIGNED},
    {"gross", "gross", COLUMN_NUMBER},
    {"open_orders", "open", COLUMN_NUMBER},
};

static const column_t balance_columns[] = {
    {"account_id", "account", COLUMN_NUMBER},
    {"ccy", "ccy", COLUMN_TEXT},
    {"cash", "cash", COLUMN_NUMBER},
    {"hold", "hold", COLUMN_NUMBER},
    {"available", "available", COLUMN_NUMBER},
    {"realised", "realised", COLUMN_SIGNED},
    {"unrealised", "unrealised", COLUMN_SIGNED},
    {"fees", "fees", COLUMN_NUMBER},
    {"funding", "funding", COLUMN_SIGNED},
    {"equity", "equity", COLUMN_NUMBER},
    {"fx_rate", "fx", COLUMN_NUMBER},
};
static const column_t part_columns[] = {
    {"account_id", "account", COLUMN_NUMBER},
    {"strategy_id", "strategy", COLUMN_NUMBER},
    {"side", "side", COLUMN_TEXT},
    {"symbol", "symbol", COLUMN_TEXT},
    {"qty", "position", COLUMN_SIGNED},
    {"mark_px", "mark", COLUMN_NUMBER},
    {"cost", "cost", COLUMN_NUMBER},
    {"realised", "realised", COLUMN_SIGNED},
    {"unrealised", "unrealised", COLUMN_SIGNED},
    {"fees", "fees", COLUMN_NUMBER},
    {"net_pnl", "net", COLUMN_SIGNED},
};

void view_positions_text(FILE *to, const json_t *view, bool colour)
{
    table_text(to, COLUMNS(account_columns), json_object_get(view, "accounts"), colour);
    fputc('\n', to);
    table_text(to, COLUMNS(position_columns), json_object_get(view, "positions"), colour);
    if (json_array_size(json_object_get(view, "balances")) > 0) {
        table_title(to, "Balances", colour);
        table_text(to, COLUMNS(balance_columns), json_object_get(view, "balances"), colour);
    }
    if (json_array_size(json_object_get(view, "parts")) > 0) {
        table_title(to, "By strategy and side", colour);
        table_text(to, COLUMNS(part_columns), json_object_get(view, "parts"), colour);
    }
}

/* ---- feeds --------------------------------------------------------------------------------------------------------- */
typedef struct sample {
    int64_t   mono_ns;
    uint64_t *books; /* how often each was published, by id; allocated */
    uint64_t  messages[ROLE_COUNT];
} sample_t;

static void take_sample(attach_t *a, sample_t *s)
{
    attach_message_t m;
    *s = (sample_t){.mono_ns = role_mono_ns(), .books = calloc(a->instrument_max + 1ull, sizeof *s->books)};
    for (uint32_t i = 1; s->books && i <= a->instrument_max; i++) {
        const attach_instrument_t *ins = attach_instrument(a, i);
        if (ins && place(a, RECORD_ID_BOOKS, ins, MSG_BOOK_UPDATE, &m)) {
            s->books[i] = m.seq;
        }
    }
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        const counters_t *c = attach_counters(a, (role_t)r);
        s->messages[r]      = c ? counter_get(c, COUNTER_MD_MESSAGES) : 0;
    }
}

static json_t *rate(uint64_t before, uint64_t after, int64_t ns)
{
    return after < before || ns <= 0 ? json_null()
                                     : table_u64((uint64_t)((u128_t)(after - before) * NS_PER_S / (u128_t)ns));
}

static json_t *feed_row(attach_t *a, const attach_instrument_t *ins, const sample_t *one, const sample_t *two)
{
    attach_message_t m;
    const uint32_t   id  = ins->def.instrument_id;
    json_t          *row = instrument_row(ins);
    put_health(row, a, ins, &m);
    const bool          known   = place(a, RECORD_ID_FEEDS, ins, MSG_FEED_STATE, &m);
    const feed_state_t *feed    = m.msg.body;
    const bool          missing = known && feed->seq_from != 0; /* 0: nothing is, or it is not known what */
    json_object_set_new(row, "missing_from", missing ? table_u64(feed->seq_from) : json_null());
    json_object_set_new(row, "missing_to", missing ? table_u64(feed->seq_to) : json_null());
    const bool           has  = place(a, RECORD_ID_BOOKS, ins, MSG_BOOK_UPDATE, &m);
    const book_update_t *book = m.msg.body;
    json_object_set_new(row, "event_seq", has ? table_u64(book->rpt_seq) : json_null());
    json_object_set_new(row, "age_ms", has ? age_ms(book->ts_recv_ns) : json_null());
    json_object_set_new(row, "updates_per_s", rate(one->books[id], two->books[id], two->mono_ns - one->mono_ns));
    return row;
}

static json_t *adapter_row(const attach_t *a, ring_id_t ring, const sample_t *one, const sample_t *two)
{
    const ring_row_t *row    = topology_ring(ring);
    const counters_t *writer = attach_counters(a, row->writer), *engine = attach_counters(a, ROLE_ENGINE);
    if (!writer) {
        return NULL;
    }
    json_t *o = json_object();
    json_object_set_new(o, "role", json_string(topology_role_name(row->writer)));
    json_object_set_new(o, "ring", json_string(row->name));
    json_object_set_new(o, "messages", table_u64(counter_get(writer, COUNTER_MD_MESSAGES)));
    json_object_set_new(o, "messages_per_s",
                        rate(one->messages[row->writer], two->messages[row->writer], two->mono_ns - one->mono_ns));
    json_object_set_new(o, "lost_by_engine", engine ? table_u64(counter_get(engine, COUNTER_MD_LOST)) : json_null());
    json_object_set_new(o, "reconnects", table_u64(counter_get(writer, COUNTER_RECONNECTS)));
    return o;
}

json_t *view_feeds(attach_t *a, uint32_t sample_ms)
{
    const struct timespec wait = {sample_ms / 1000, (long)(sample_ms % 1000) * 1000000L};
    json_t               *view = view_head(a), *feeds = json_array(), *adapters = json_array();
    sample_t              one, two;
    take_sample(a, &one);
    nanosleep(&wait, NULL);
    take_sample(a, &two);
    const bool sampled = one.books && two.books; /* else there is no memory for it */
    for (uint32_t i = 1; sampled && i <= a->instrument_max; i++) {
        const attach_instrument_t *ins = attach_instrument(a, i);
        if (ins) {
            json_array_append_new(feeds, feed_row(a, ins, &one, &two));
        }
    }
    for (int r = 0; r < RING_ID_COUNT; r++) {
        const ring_row_t *row = topology_ring((ring_id_t)r);
        json_t           *o   = row->kind == SEGMENT_BROADCAST && row->writer != ROLE_ENGINE
                                    ? adapter_row(a, (ring_id_t)r, &one, &two)
                                    : NULL;
        if (o) {
            json_array_append_new(adapters, o);
        }
    }
    free(one.books);
    free(two.books);
    json_object_set_new(view, "feeds", feeds);
    json_object_set_new(view, "adapters", adapters);
    return view;
}

static const column_t feed_columns[] = {
    {"instrument_id", "id", COLUMN_NUMBER}, {"symbol", "symbol", COLUMN_TEXT},
    {"health", "health", COLUMN_STATE},     {"reason", "reason", COLUMN_TEXT},
    {"age_ms", "age ms", COLUMN_NUMBER},    {"updates_per_s", "updates/s", COLUMN_NUMBER},
    {"event_seq", "event", COLUMN_NUMBER},  {"missing_from", "missing from", COLUMN_NUMBER},
    {"missing_to", "to", COLUMN_NUMBER},
};
static const column_t adapter_columns[] = {
    {"role", "adapter", COLUMN_TEXT},
    {"ring", "ring", COLUMN_TEXT},
    {"messages", "messages", COLUMN_NUMBER},
    {"messages_per_s", "messages/s", COLUMN_NUMBER},
    {"lost_by_engine", "lost by engine", COLUMN_NUMBER},
    {"reconnects", "connections", COLUMN_NUMBER},
};

void view_feeds_text(FILE *to, const json_t *view, bool colour)
{
    table_text(to, COLUMNS(feed_columns), json_object_get(view, "feeds"), colour);
    fputc('\n', to);
    table_text(to, COLUMNS(adapter_columns), json_object_get(view, "adapters"), colour);
}

/* ---- events and logs ----------------------------------------------------------------------------------------------- */
static bool event_any(const msg_t *msg)
{
    return msg->type != MSG_NONE;
}

static bool event_alarm(const msg_t *msg)
{
    return msg->type == MSG_ALARM;
}

static bool event_execution(const msg_t *msg)
{
    const exec_report_t *report = msg->body;
    return msg->type == MSG_EXEC_REPORT &&
           (report->exec_type == EXEC_TYPE_TRADE || report->exec_type == EXEC_TYPE_TRADE_CANCEL);
}

json_t *view_events(attach_t *a, view_event_t what, uint32_t count)
{
    static bool (*const keep[])(const msg_t *) = {event_any, event_alarm, event_execution};
    json_t          *list                      = json_array();
    ring_reader_t    reader;
    attach_message_t m;
    err_t            err = attach_ring(a, RING_ID_EV, RING_OLDEST, &reader);
    if (err == ERR_OK && what == VIEW_EVENT_ANY) {
        const uint64_t tail = ring_tail(reader.ring), oldest = ring_oldest(&reader);
        ring_reader_seek(&reader, tail > count && tail - count >= oldest ? tail - count + 1 : oldest);
    }
    /* at most one turn of the ring: a writer may be faster than we are */
    for (uint64_t left = err == ERR_OK ? reader.mask + 1 : 0; left > 0; left--) {
        err = attach_next(a, &reader, &m);
        if (err == ERR_EMPTY) {
            break;
        }
        if (err != ERR_OK || !keep[what](&m.msg)) {
            continue;
        }
        json_t *row = json_object();
        json_object_set_new(row, "seq", table_u64(m.seq));
        json_object_set_new(row, "type", json_string(msg_type_str(m.msg.type)));
        describe_fields(row, a, &m.msg);
        json_array_append_new(list, row);
        if (json_array_size(list) > count) {
            json_array_remove(list, 0);
        }
    }
    return list;
}

json_t *view_log(attach_t *a, role_t role, uint32_t count)
{
    json_t          *list = json_array();
    ring_reader_t    reader;
    attach_message_t m;
    err_t            err = attach_log(a, role, RING_OLDEST, &reader);
    for (uint64_t left = err == ERR_OK ? reader.mask + 1 : 0; left > 0; left--) {
        err = attach_next(a, &reader, &m);
        if (err == ERR_EMPTY) {
            break;
        }
        if (err == ERR_OK && m.msg.type == MSG_LOG) {
            json_t *row = json_object();
            json_object_set_new(row, "role", json_string(topology_role_name(role)));
            describe_fields(row, a, &m.msg);
            json_array_append_new(list, row);
            if (json_array_size(list) > count) {
                json_array_remove(list, 0);
            }
        }
    }
    return list;
}

/* ---- the commands --------------------------------------------------------------------------------------------------- */
typedef struct screen {
    const char *name;
    const char *rows; /* the array that --csv prints */
    void (*text)(FILE *to, const json_t *view, bool colour);
    const column_t *columns;
    size_t          column_count;
    const char     *help;
} screen_t;

static int usage(const screen_t *s, FILE *to)
{
    fprintf(to, "usage: hwal %s %s\n" ATTACH_HELP "  --csv             the table as CSV\n", s->name, s->help);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

static json_t *build(const screen_t *s, attach_t *a, const attach_instrument_t *only, bool all)
{
    switch (s->name[0]) {
    case 'b': return view_books(a, only, only ? TOPOLOGY_BOOK_LEVELS : BOOK_LEVELS);
    case 'o': return view_orders(a, all);
    case 'p': return view_positions(a);
    default: return view_feeds(a, FEEDS_SAMPLE_MS);
    }
}

/* books of several symbols: each by itself, in the order asked for */
static json_t *books_of(attach_t *a, char **symbols, int count, bool *unknown)
{
    json_t *view = NULL;
    for (int i = 0; i < count; i++) {
        const attach_instrument_t *ins = attach_symbol(a, symbols[i]);
        if (!ins) {
            *unknown = true;
            break;
        }
        json_t *one = view_books(a, ins, TOPOLOGY_BOOK_LEVELS);
        if (view) {
            json_array_extend(json_object_get(view, "books"), json_object_get(one, "books"));
            json_decref(one);
        } else {
            view = one;
        }
    }
    return view;
}

static int screen_main(const screen_t *s, int argc, char **argv)
{
    static const struct option options[] = {ATTACH_OPTIONS, {"all", no_argument, NULL, 'a'}, {0}};
    attach_args_t              args;
    attach_t                   a;
    bool                       all     = false;
    bool                       unknown = false;
    attach_args(&args);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'h') {
            return usage(s, stdout);
        }
        if (c == 'a' && s->name[0] == 'o') {
            all = true;
        } else if (!attach_option(&args, c)) {
            return command_unknown(s->name, argv);
        }
    }
    if (optind < argc && s->name[0] != 'b') {
        return command_error(s->name, EXIT_USAGE, "%s: takes no argument (--help)", argv[optind]);
    }
    int rc = attach_begin(s->name, &args, &a);
    if (rc != EXIT_OK) {
        return rc;
    }
    json_t *view = optind < argc ? books_of(&a, argv + optind, argc - optind, &unknown) : build(s, &a, NULL, all);
    if (unknown) {
        json_decref(view);
        attach_close(&a);
        return command_error(s->name, EXIT_USAGE, "%s", err_msg());
    }
    if (args.json) {
        table_json(stdout, view);
    } else if (args.csv) {
        table_csv(stdout, s->columns, s->column_count, json_object_get(view, s->rows));
    } else {
        s->text(stdout, view, command_colour(stdout));
    }
    json_decref(view);
    return attach_end(s->name, &a);
}

int command_books(int argc, char **argv)
{
    static const screen_t s = {
        "books", "books", view_books_text, COLUMNS(book_columns),
        "[SYMBOL...] [OPTIONS]\n\n"
        "Order books as the engine sees them: best prices, spread, health; with SYMBOL its levels.\n"
        "examples: hwal books; hwal books BTCUSDT; hwal books --json | jq .books[].spread\n\n"};
    return screen_main(&s, argc, argv);
}

int command_orders(int argc, char **argv)
{
    static const screen_t s = {"orders", "orders", view_orders_text, COLUMNS(order_columns),
                               "[--all] [OPTIONS]\n\n"
                               "Open orders, newest first; --all: also those that are done and still kept.\n"
                               "examples: hwal orders; hwal orders --all --csv >orders.csv\n\n"};
    return screen_main(&s, argc, argv);
}

int command_positions(int argc, char **argv)
{
    static const screen_t s = {"positions", "positions", view_positions_text, COLUMNS(position_columns),
                               "[OPTIONS]\n\n"
                               "Accounts, positions, and profit and loss, in exact decimals.\n"
                               "examples: hwal positions; hwal positions --json | jq '.accounts[].equity'\n\n"};
    return screen_main(&s, argc, argv);
}

int command_feeds(int argc, char **argv)
{
    static const screen_t s = {
        "feeds", "feeds", view_feeds_text, COLUMNS(feed_columns),
        "[OPTIONS]\n\n"
        "Market data: health and why, age, rates over a quarter of a second, losses.\n"
        "examples: hwal feeds; hwal feeds --json | jq '.feeds[] | select(.health != \"LIVE\")'\n\n"};
    return screen_main(&s, argc, argv);
}
