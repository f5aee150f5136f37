#include "adapters/venues/binance/codec.h"

#include <string.h>

#include "adapters/net/scan.h"
#include "adapters/venues/binance/depth_sync.h"
#include "core/types/decimal.h"
#include "core/types/hash.h"
#include "core/types/time.h"

#define KEPT_PARTS_DEFAULT 1024u
#define LIT(text) text, sizeof(text) - 1 /* a literal and its length, for scan_expect and scan_str_is */

typedef struct feed {
    feed_ref_t   ref;
    char         lower[SYMBOL_MAX + 1]; /* as in stream names */
    uint32_t     lower_len;
    uint32_t     s_literal_len;
    char         s_literal[SYMBOL_MAX + 8]; /* ,"s":"BTCUSDT" */
    feed_stats_t stats;
    depth_sync_t sync;
} feed_t;

typedef struct codec {
    md_sink_t     sink;
    codec_stats_t stats;
    uint32_t      feeds_max;
    uint32_t      feed_count;
    uint32_t      kept_max;   /* parts a feed */
    uint32_t      index_mask; /* slots of index[] - 1 */
    feed_t       *feeds;
    depth_part_t *kept;
    uint16_t     *index; /* open addressing by lower-case symbol: feed number + 1, 0 = free */
} codec_t;

/* ---- life -------------------------------------------------------------------------------------------------------- */
static size_t binance_align(void)
{
    return 64;
}

static uint32_t cfg_kept(const venue_codec_cfg_t *cfg)
{
    return cfg->pending_parts != 0 ? cfg->pending_parts : KEPT_PARTS_DEFAULT;
}

static uint32_t index_slots(uint32_t feeds_max)
{
    uint32_t slots = 4;
    while (slots < 2 * feeds_max) {
        slots *= 2;
    }
    return slots;
}

/* codec | feeds | kept parts of all feeds | index: falling alignment, so no gaps between them */
static size_t binance_footprint(const venue_codec_cfg_t *cfg)
{
    if (cfg->feeds_max == 0 || cfg->feeds_max > VENUE_FEEDS_MAX) {
        err_set(ERR_ARG, "binance: feeds_max %u, must be 1..%u", cfg->feeds_max, VENUE_FEEDS_MAX);
        return 0;
    }
    if (cfg->pending_parts > VENUE_PENDING_PARTS_MAX) {
        err_set(ERR_ARG, "binance: pending_parts %u, must be at most %u", cfg->pending_parts, VENUE_PENDING_PARTS_MAX);
        return 0;
    }
    return sizeof(codec_t) + cfg->feeds_max * (sizeof(feed_t) + cfg_kept(cfg) * sizeof(depth_part_t)) +
           index_slots(cfg->feeds_max) * sizeof(uint16_t);
}

_Static_assert(_Alignof(codec_t) == 8 && _Alignof(feed_t) == 8 && _Alignof(depth_part_t) == 8, "laid end to end");

static void *binance_create(void *mem, const venue_codec_cfg_t *cfg)
{
    if (binance_footprint(cfg) == 0) {
        return NULL;
    }
    codec_t *c    = mem;
    *c            = (codec_t){.sink = cfg->sink, .feeds_max = cfg->feeds_max, .kept_max = cfg_kept(cfg)};
    c->feeds      = (feed_t *)(c + 1);
    c->kept       = (depth_part_t *)(c->feeds + c->feeds_max);
    c->index      = (uint16_t *)(c->kept + (size_t)c->feeds_max * c->kept_max);
    c->index_mask = index_slots(c->feeds_max) - 1;
    memset(c->index, 0, (c->index_mask + 1) * sizeof c->index[0]);
    return c;
}

/* ---- feeds ------------------------------------------------------------------------------------------------------- */
/* The index slot of a lower-case symbol: its own, or the free one where it would go (half of the slots are free). */
static uint32_t index_slot(const codec_t *c, const char *lower, size_t len)
{
    uint32_t slot = (uint32_t)hash_bytes(0, lower, len) & c->index_mask;
    while (c->index[slot] != 0) {
        const feed_t *f = &c->feeds[c->index[slot] - 1];
        if (f->lower_len == len && memcmp(f->lower, lower, len) == 0) {
            break;
        }
        slot = (slot + 1) & c->index_mask;
    }
    return slot;
}

static feed_t *feed_by_lower(const codec_t *c, const char *lower, size_t len)
{
    const uint16_t number = c->index[index_slot(c, lower, len)];
    return number != 0 ? &c->feeds[number - 1] : NULL;
}

static size_t lower_of(char out[SYMBOL_MAX + 1], const char *symbol, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = (char)(symbol[i] >= 'A' && symbol[i] <= 'Z' ? symbol[i] + ('a' - 'A') : symbol[i]);
    }
    out[len] = 0;
    return len;
}

static feed_t *feed_by_id(const codec_t *c, uint32_t instrument_id)
{
    for (uint32_t i = 0; i < c->feed_count; i++) {
        if (c->feeds[i].ref.instrument_id == instrument_id) {
            return &c->feeds[i];
        }
    }
    return NULL;
}

static err_t ref_check(const codec_t *c, const feed_ref_t *ref, size_t len)
{
    if (len == 0 || len > SYMBOL_MAX) {
        return err_set(ERR_ARG, "binance: feed of instrument %u: symbol must have 1..%d bytes", ref->instrument_id,
                       SYMBOL_MAX);
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)ref->symbol[i] <= ' ' || ref->symbol[i] == '"' || ref->symbol[i] == '\\' ||
            ref->symbol[i] == '@') {
            return err_set(ERR_ARG, "binance: symbol \"%s\": byte %zu cannot be in a symbol", ref->symbol, i);
        }
    }
    if (ref->kind < INSTRUMENT_SPOT || ref->kind > INSTRUMENT_INVERSE) {
        return err_set(ERR_ARG, "binance: %s: kind %u is no market", ref->symbol, ref->kind);
    }
    if (ref->px_exp < 0 || ref->px_exp > DECIMAL_EXP_MAX || ref->qty_exp < 0 || ref->qty_exp > DECIMAL_EXP_MAX) {
        return err_set(ERR_ARG, "binance: %s: px_exp %d, qty_exp %d must be 0..%d", ref->symbol, ref->px_exp,
                       ref->qty_exp, DECIMAL_EXP_MAX);
    }
    if (ref->instrument_id == 0) {
        return err_set(ERR_ARG, "binance: %s: instrument id 0 means none", ref->symbol);
    }
    if (feed_by_id(c, ref->instrument_id) != NULL) {
        return err_set(ERR_EXISTS, "binance: %s: instrument %u has a feed already", ref->symbol, ref->instrument_id);
    }
    if (c->feed_count == c->feeds_max) {
        return err_set(ERR_LIMIT, "binance: %s: %u feeds are all there is room for", ref->symbol, c->feeds_max);
    }
    return ERR_OK;
}

static err_t binance_feed_add(void *codec, const feed_ref_t *ref)
{
    codec_t     *c   = codec;
    const size_t len = strnlen(ref->symbol, sizeof ref->symbol);
    const err_t  err = ref_check(c, ref, len);
    if (err != ERR_OK) {
        return err;
    }
    feed_t *f    = &c->feeds[c->feed_count];
    *f           = (feed_t){.ref = *ref};
    f->lower_len = (uint32_t)lower_of(f->lower, ref->symbol, len);

    const uint32_t slot = index_slot(c, f->lower, len);
    if (c->index[slot] != 0) {
        return err_set(ERR_EXISTS, "binance: %s has a feed here; another market of it needs a codec of its own",
                       ref->symbol);
    }
    memcpy(f->s_literal, ",\"s\":\"", 6);
    memcpy(f->s_literal + 6, ref->symbol, len);
    f->s_literal[6 + len] = '"';
    f->s_literal_len      = (uint32_t)len + 7;
    depth_sync_init(&f->sync, ref, &c->sink, &f->stats, c->kept + (size_t)c->feed_count * c->kept_max, c->kept_max);
    c->index[slot] = (uint16_t)++c->feed_count;
    return ERR_OK;
}

/* ---- one frame --------------------------------------------------------------------------------------------------- */
typedef struct frame {
    codec_t          *codec;
    const md_frame_t *in;
    feed_t           *feed;
    scan_t            s;            /* within the data object */
    bool              outer_walked; /* the whole text has been checked: nothing is left to do behind data */
    bool              is_depth;     /* a fault in this frame is a fault of the feed's book */
    bool              begun;        /* depth_sync has been told of it                      */
    const char       *key;          /* that is being read, for the sentence */
    size_t            key_len;
} frame_t;

static err_t bad(frame_t *f, const char *why)
{
    return err_set(ERR_PARSE, "key \"%.*s\" %s", (int)f->key_len, f->key, why);
}

static void key_set(frame_t *f, const char *key, size_t len)
{
    f->key     = key;
    f->key_len = len;
}

/* What the scanner says of the value of the key at hand. */
static err_t bad_value(const frame_t *f, err_t err)
{
    return err_wrap(err, "key \"%.*s\"", (int)f->key_len, f->key);
}

/* The predicted walk is made of literals, which do not tell the cursor that two objects were opened: do so, that the
 * walk by key can go on from here. fresh: no member of the data object has been passed yet. */
static void scan_opened_two(scan_t *s, bool fresh)
{
    s->kinds = 3;
    s->depth = 2;
    s->fresh = fresh;
}

/* Back to the start of the data object, to walk it by key. */
static void by_key_from(frame_t *f, const scan_t *start)
{
    f->codec->stats.unforeseen++;
    f->s = *start;
    if (!f->outer_walked) {
        scan_opened_two(&f->s, true);
    }
}

/* Behind the data object: the rest of the outer one and the end of the text. */
static err_t outer_end(frame_t *f)
{
    if (f->outer_walked) {
        return ERR_OK;
    }
    scan_str_t key;
    while (scan_member(&f->s, &key) == ERR_OK) {
        key_set(f, key.text, key.len);
        if (scan_str_is(&key, LIT("stream")) || scan_str_is(&key, LIT("data"))) {
            return bad(f, "comes twice");
        }
        scan_skip(&f->s);
    }
    return scan_end(&f->s);
}

/* ---- the data object by key -------------------------------------------------------------------------------------- */
enum { K_E_TYPE, K_E, K_T, K_S, K_U, K_U_LAST, K_PU, K_B, K_B_QTY, K_A, K_A_QTY, K_ID, K_P, K_Q, K_X, K_M, K_COUNT };
static const char *const key_names[K_COUNT] = {
    [K_E_TYPE] = "e", [K_E] = "E", [K_T] = "T",     [K_S] = "s", [K_U] = "U",     [K_U_LAST] = "u",
    [K_PU] = "pu",    [K_B] = "b", [K_B_QTY] = "B", [K_A] = "a", [K_A_QTY] = "A", [K_ID] = "t",
    [K_P] = "p",      [K_Q] = "q", [K_X] = "X",     [K_M] = "m"};

typedef struct fields {
    uint32_t seen;        /* bit K_x */
    scan_t   at[K_COUNT]; /* cursor at the value of each key seen */
} fields_t;

static int key_find(const scan_str_t *key)
{
    for (int k = 0; k < K_COUNT; k++) {
        if (!key->escaped && (key->len > 2 || key->text[0] != key_names[k][0])) {
            continue; /* most keys, at the price of one compare */
        }
        if (scan_str_is(key, key_names[k], strlen(key_names[k]))) {
            return k;
        }
    }
    return -1;
}

/* Walk on to the end of the data object and note where the value of each known key stands. */
static err_t fields_walk(frame_t *f, fields_t *fields)
{
    scan_str_t key;
    err_t      err;
    while ((err = scan_member(&f->s, &key)) == ERR_OK) {
        key_set(f, key.text, key.len);
        const int k = key_find(&key);
        if (k >= 0) {
            if ((fields->seen >> k & 1) != 0) {
                return bad(f, "comes twice");
            }
            fields->seen |= 1u << k;
            fields->at[k] = f->s;
        }
        err = scan_skip(&f->s);
        if (err != ERR_OK) {
            return bad_value(f, err);
        }
    }
    return err == ERR_END ? ERR_OK : err;
}

/* Point the sentence at key k and give a cursor at its value; an error when it is not there. */
static err_t field_at(frame_t *f, const fields_t *fields, int k, scan_t *at)
{
    key_set(f, key_names[k], strlen(key_names[k]));
    if ((fields->seen >> k & 1) == 0) {
        return bad(f, "is missing");
    }
    *at = fields->at[k];
    return ERR_OK;
}

static err_t field_u64(frame_t *f, const fields_t *fields, int k, uint64_t *out)
{
    scan_t at;
    err_t  err = field_at(f, fields, k, &at);
    if (err == ERR_OK && (err = scan_u64(&at, out)) != ERR_OK) {
        err = bad_value(f, err);
    }
    return err;
}

static err_t field_decimal(frame_t *f, const fields_t *fields, int k, int exp, int64_t *out)
{
    scan_t at;
    err_t  err = field_at(f, fields, k, &at);
    if (err == ERR_OK && (err = scan_decimal(&at, (unsigned)exp, out)) != ERR_OK) {
        err = bad_value(f, err);
    }
    return err;
}

static err_t field_is(frame_t *f, const fields_t *fields, int k, const char *text, size_t len)
{
    scan_t     at;
    scan_str_t str;
    err_t      err = field_at(f, fields, k, &at);
    if (err == ERR_OK && (err = scan_string(&at, &str)) != ERR_OK) {
        return bad_value(f, err);
    }
    if (err == ERR_OK && !scan_str_is(&str, text, len)) {
        return err_set(ERR_PARSE, "key \"%s\" is \"%.*s\" and not \"%s\"", key_names[k],
                       (int)(str.len < 32 ? str.len : 32), str.text, text);
    }
    return err;
}

static err_t field_symbol(frame_t *f, const fields_t *fields)
{
    return field_is(f, fields, K_S, f->feed->ref.symbol, f->feed->lower_len);
}

/* Milliseconds of T, else of E, else 0; as nanoseconds. */
static err_t ms_to_ns(uint64_t ms, int64_t *ns)
{
    if (ms > (uint64_t)(INT64_MAX / NS_PER_MS)) {
        return err_set(ERR_RANGE, "%llu ms is no time", (unsigned long long)ms);
    }
    *ns = (int64_t)ms * NS_PER_MS;
    return ERR_OK;
}

static err_t field_times(frame_t *f, const fields_t *fields, uint64_t *ms)
{
    *ms = 0;
    for (int k = K_E; k <= K_T; k++) {
        if ((fields->seen >> k & 1) != 0) {
            const err_t err = field_u64(f, fields, k, ms);
            if (err != ERR_OK) {
                return err;
            }
        }
    }
    return ERR_OK;
}

static bool is_futures(const feed_t *feed)
{
    return feed->ref.kind != INSTRUMENT_SPOT;
}

static bool expect_s(scan_t *s, const feed_t *feed)
{
    return scan_expect(s, feed->s_literal, feed->s_literal_len);
}

/* COIN-M only: ,"ps":"BTCUSD" */
static bool expect_ps(scan_t *s, const feed_t *feed)
{
    scan_str_t pair;
    return feed->ref.kind != INSTRUMENT_INVERSE || (scan_expect(s, LIT(",\"ps\":")) && scan_string(s, &pair) == ERR_OK);
}

/* ---- bookTicker -------------------------------------------------------------------------------------------------- */
typedef struct quote {
    uint64_t id;
    int64_t  px[2], qty[2]; /* bid, ask */
    uint64_t ms;
} quote_t;

static bool quote_predicted(frame_t *f, quote_t *q)
{
    scan_t        *s    = &f->s;
    const feed_t  *feed = f->feed;
    const unsigned pe = (unsigned)feed->ref.px_exp, qe = (unsigned)feed->ref.qty_exp;
    uint64_t       sent_ms;
    q->ms         = 0;
    const bool ok = (feed->ref.kind == INSTRUMENT_LINEAR ? scan_expect(s, LIT("\"e\":\"bookTicker\",\"u\":"))
                                                         : scan_expect(s, LIT("\"u\":"))) &&
                    scan_u64(s, &q->id) == ERR_OK &&
                    (feed->ref.kind != INSTRUMENT_INVERSE || scan_expect(s, LIT(",\"e\":\"bookTicker\""))) &&
                    expect_s(s, feed) && expect_ps(s, feed) && scan_expect(s, LIT(",\"b\":")) &&
                    scan_decimal(s, pe, &q->px[0]) == ERR_OK && scan_expect(s, LIT(",\"B\":")) &&
                    scan_decimal(s, qe, &q->qty[0]) == ERR_OK && scan_expect(s, LIT(",\"a\":")) &&
                    scan_decimal(s, pe, &q->px[1]) == ERR_OK && scan_expect(s, LIT(",\"A\":")) &&
                    scan_decimal(s, qe, &q->qty[1]) == ERR_OK;
    if (!ok || (is_futures(feed) && !(scan_expect(s, LIT(",\"T\":")) && scan_u64(s, &q->ms) == ERR_OK &&
                                      scan_expect(s, LIT(",\"E\":")) && scan_u64(s, &sent_ms) == ERR_OK))) {
        return false;
    }
    return scan_expect(s, LIT("}}")) && scan_end(s) == ERR_OK;
}

static err_t quote_by_key(frame_t *f, quote_t *q)
{
    fields_t fields;
    fields.seen = 0; /* and the places need no clearing */
    err_t err   = fields_walk(f, &fields);
    if (err == ERR_OK) {
        err = outer_end(f);
    }
    if (err == ERR_OK && (fields.seen >> K_E_TYPE & 1) != 0) {
        err = field_is(f, &fields, K_E_TYPE, LIT("bookTicker"));
    }
    if (err != ERR_OK || (err = field_symbol(f, &fields)) != ERR_OK ||
        (err = field_u64(f, &fields, K_U_LAST, &q->id)) != ERR_OK) {
        return err;
    }
    const int pe = f->feed->ref.px_exp, qe = f->feed->ref.qty_exp;
    if ((err = field_decimal(f, &fields, K_B, pe, &q->px[0])) != ERR_OK ||
        (err = field_decimal(f, &fields, K_B_QTY, qe, &q->qty[0])) != ERR_OK ||
        (err = field_decimal(f, &fields, K_A, pe, &q->px[1])) != ERR_OK ||
        (err = field_decimal(f, &fields, K_A_QTY, qe, &q->qty[1])) != ERR_OK) {
        return err;
    }
    return field_times(f, &fields, &q->ms);
}

static err_t decode_quote(frame_t *f)
{
    const scan_t start = f->s;
    quote_t      q;
    if (f->outer_walked || !quote_predicted(f, &q)) {
        by_key_from(f, &start);
        const err_t err = quote_by_key(f, &q);
        if (err != ERR_OK) {
            return err;
        }
    }
    for (int side = 0; side < 2; side++) {
        key_set(f, side == 0 ? "b" : "a", 1);
        if (q.qty[side] < 0 || (q.qty[side] > 0 && q.px[side] <= 0)) {
            return bad(f, "or its quantity is negative");
        }
        q.px[side] = q.qty[side] == 0 ? 0 : q.px[side];
    }
    int64_t     ts_event_ns = 0;
    const err_t err         = ms_to_ns(q.ms, &ts_event_ns);
    if (err != ERR_OK) {
        return err;
    }
    const md_sink_t *sink = &f->codec->sink;
    const md_slot_t  slot = sink->reserve(sink->ctx, MSG_TOP);
    *(top_t *)slot.body   = (top_t){.instrument_id = f->feed->ref.instrument_id,
                                    .venue_seq     = q.id,
                                    .bid_px        = q.px[0],
                                    .bid_qty       = q.qty[0],
                                    .ask_px        = q.px[1],
                                    .ask_qty       = q.qty[1],
                                    .ts_event_ns   = ts_event_ns,
                                    .ts_recv_ns    = f->in->ts_recv_ns};
    sink->commit(sink->ctx, &(msg_t){.type = MSG_TOP, .body = slot.body});
    f->feed->stats.tops++;
    return ERR_OK;
}

/* ---- trade ------------------------------------------------------------------------------------------------------- */
typedef struct deal {
    uint64_t id;
    int64_t  px, qty;
    uint64_t ms;
    bool     buyer_is_maker;
    bool     off_book;
} deal_t;

static bool deal_predicted(frame_t *f, deal_t *d)
{
    scan_t       *s    = &f->s;
    const feed_t *feed = f->feed;
    const bool    fut  = is_futures(feed);
    uint64_t      sent_ms;
    bool          ignore;
    d->off_book = false;
    if (!(scan_expect(s, LIT("\"e\":\"trade\",\"E\":")) && scan_u64(s, &sent_ms) == ERR_OK &&
          (!fut || (scan_expect(s, LIT(",\"T\":")) && scan_u64(s, &d->ms) == ERR_OK)) && expect_s(s, feed) &&
          scan_expect(s, LIT(",\"t\":")) && scan_u64(s, &d->id) == ERR_OK && scan_expect(s, LIT(",\"p\":")) &&
          scan_decimal(s, (unsigned)feed->ref.px_exp, &d->px) == ERR_OK && scan_expect(s, LIT(",\"q\":")) &&
          scan_decimal(s, (unsigned)feed->ref.qty_exp, &d->qty) == ERR_OK)) {
        return false;
    }
    const bool ok = fut ? scan_expect(s, LIT(",\"X\":\"MARKET\",\"m\":")) && scan_bool(s, &d->buyer_is_maker) == ERR_OK
                        : scan_expect(s, LIT(",\"T\":")) && scan_u64(s, &d->ms) == ERR_OK &&
                              scan_expect(s, LIT(",\"m\":")) && scan_bool(s, &d->buyer_is_maker) == ERR_OK &&
                              scan_expect(s, LIT(",\"M\":")) && scan_bool(s, &ignore) == ERR_OK;
    return ok && scan_expect(s, LIT("}}")) && scan_end(s) == ERR_OK;
}

static err_t deal_by_key(frame_t *f, deal_t *d)
{
    fields_t fields;
    fields.seen = 0; /* and the places need no clearing */
    err_t err   = fields_walk(f, &fields);
    if (err == ERR_OK) {
        err = outer_end(f);
    }
    if (err != ERR_OK || (err = field_is(f, &fields, K_E_TYPE, LIT("trade"))) != ERR_OK ||
        (err = field_symbol(f, &fields)) != ERR_OK || (err = field_u64(f, &fields, K_ID, &d->id)) != ERR_OK ||
        (err = field_decimal(f, &fields, K_P, f->feed->ref.px_exp, &d->px)) != ERR_OK ||
        (err = field_decimal(f, &fields, K_Q, f->feed->ref.qty_exp, &d->qty)) != ERR_OK) {
        return err;
    }
    scan_t at;
    if ((err = field_at(f, &fields, K_M, &at)) != ERR_OK) {
        return err;
    }
    if ((err = scan_bool(&at, &d->buyer_is_maker)) != ERR_OK) {
        return bad_value(f, err);
    }
    d->off_book = (fields.seen >> K_X & 1) != 0 && field_is(f, &fields, K_X, LIT("MARKET")) != ERR_OK;
    return field_times(f, &fields, &d->ms);
}

/* Is this id the next one? False: seen before. */
static bool deal_count(feed_stats_t *stats, uint64_t id)
{
    if (stats->last_trade_id != 0 && id <= stats->last_trade_id) {
        stats->trades_repeated++;
        return false;
    }
    if (stats->last_trade_id != 0 && id != stats->last_trade_id + 1) {
        stats->trade_gaps++;
    }
    stats->last_trade_id = id;
    return true;
}

static err_t decode_deal(frame_t *f)
{
    const scan_t start = f->s;
    deal_t       d;
    int64_t      ts_event_ns = 0;
    err_t        err;
    if (f->outer_walked || !deal_predicted(f, &d)) {
        by_key_from(f, &start);
        err = deal_by_key(f, &d);
        if (err != ERR_OK) {
            return err;
        }
    }
    if ((err = ms_to_ns(d.ms, &ts_event_ns)) != ERR_OK) {
        return err;
    }
    key_set(f, d.px <= 0 ? "p" : "q", 1);
    if (!d.off_book && (d.px <= 0 || d.qty <= 0)) {
        return bad(f, "of a trade must be positive");
    }
    if (!deal_count(&f->feed->stats, d.id)) {
        return ERR_OK;
    }
    if (d.off_book) {
        f->feed->stats.trades_off_book++;
        return ERR_OK;
    }
    const md_sink_t *sink = &f->codec->sink;
    const md_slot_t  slot = sink->reserve(sink->ctx, MSG_TRADE);
    *(trade_t *)slot.body = (trade_t){.instrument_id  = f->feed->ref.instrument_id,
                                      .aggressor_side = d.buyer_is_maker ? SIDE_SELL : SIDE_BUY,
                                      .trade_id       = d.id,
                                      .px             = d.px,
                                      .qty            = d.qty,
                                      .ts_event_ns    = ts_event_ns,
                                      .ts_recv_ns     = f->in->ts_recv_ns};
    sink->commit(sink->ctx, &(msg_t){.type = MSG_TRADE, .body = slot.body});
    f->feed->stats.trades++;
    return ERR_OK;
}

/* ---- levels into parts ------------------------------------------------------------------------------------------- */
typedef struct part { /* the part being filled; it is complete only when nothing follows */
    level_t *levels;
    uint32_t count[2]; /* bids, asks */
} part_t;

static err_t levels_check(frame_t *f, const level_t *levels, uint32_t count)
{
    int64_t wrong = 0; /* negative when one of them is; no branch per level */
    for (uint32_t i = 0; i < count; i++) {
        wrong |= levels[i].qty | (levels[i].px - 1);
    }
    return wrong < 0 ? bad(f, "holds a price that is not positive or a negative quantity") : ERR_OK;
}

/* One side's array at *s, into as many parts as it takes. */
static err_t levels_read(frame_t *f, scan_t *s, part_t *part, int side)
{
    const feed_ref_t *ref = &f->feed->ref;
    for (;;) {
        const uint32_t used = part->count[0] + part->count[1];
        uint32_t       got  = 0;
        if (used == BOOK_UPDATE_MAX_LEVELS) { /* only at the start of the asks: are there any? */
            scan_t     peek = *s;
            const bool none = scan_enter_array(&peek) == ERR_OK && scan_element(&peek) == ERR_END;
            if (none) {
                *s = peek;
                return ERR_OK;
            }
            depth_sync_part(&f->feed->sync, part->count[0], part->count[1]);
            *part = (part_t){.levels = depth_sync_levels(&f->feed->sync)};
            continue;
        }
        const err_t err = scan_levels(s, (unsigned)ref->px_exp, (unsigned)ref->qty_exp, part->levels + used,
                                      BOOK_UPDATE_MAX_LEVELS - used, &got);
        if (err != ERR_OK && err != ERR_FULL) {
            return bad_value(f, err);
        }
        const err_t wrong = levels_check(f, part->levels + used, got);
        if (wrong != ERR_OK) {
            return wrong;
        }
        part->count[side] += got;
        if (err == ERR_OK) {
            return ERR_OK;
        }
        depth_sync_part(&f->feed->sync, part->count[0], part->count[1]);
        *part = (part_t){.levels = depth_sync_levels(&f->feed->sync)};
    }
}

/* ---- depth diff -------------------------------------------------------------------------------------------------- */
/* All that stands before the bids; the cursor is then at their array. */
static bool depth_predicted(frame_t *f, depth_ids_t *ids, uint64_t *ms)
{
    scan_t       *s    = &f->s;
    const feed_t *feed = f->feed;
    const bool    fut  = is_futures(feed);
    ids->prev          = 0;
    return scan_expect(s, LIT("\"e\":\"depthUpdate\",\"E\":")) && scan_u64(s, ms) == ERR_OK &&
           (!fut || (scan_expect(s, LIT(",\"T\":")) && scan_u64(s, ms) == ERR_OK)) && expect_s(s, feed) &&
           expect_ps(s, feed) && scan_expect(s, LIT(",\"U\":")) && scan_u64(s, &ids->first) == ERR_OK &&
           scan_expect(s, LIT(",\"u\":")) && scan_u64(s, &ids->last) == ERR_OK &&
           (!fut || (scan_expect(s, LIT(",\"pu\":")) && scan_u64(s, &ids->prev) == ERR_OK)) &&
           scan_expect(s, LIT(",\"b\":"));
}

static err_t depth_by_key(frame_t *f, const fields_t *fields, depth_ids_t *ids, uint64_t *ms)
{
    err_t      err;
    const bool fut = is_futures(f->feed);
    scan_t     at;
    if ((err = field_is(f, fields, K_E_TYPE, LIT("depthUpdate"))) != ERR_OK ||
        (err = field_symbol(f, fields)) != ERR_OK || (err = field_u64(f, fields, K_U, &ids->first)) != ERR_OK ||
        (err = field_u64(f, fields, K_U_LAST, &ids->last)) != ERR_OK ||
        (err = field_at(f, fields, K_B, &at)) != ERR_OK || (err = field_at(f, fields, K_A, &at)) != ERR_OK) {
        return err;
    }
    if (fut) {
        err = field_u64(f, fields, K_PU, &ids->prev);
    } else if ((fields->seen >> K_PU & 1) != 0) {
        key_set(f, LIT("pu"));
        err = bad(f, "is there, but the feed was declared as spot");
    }
    return err == ERR_OK ? field_times(f, fields, ms) : err;
}

/* Both sides into parts. By the predicted walk the cursor stands at the bids and the rest is still unread; by key all
 * has been checked and the places are known. */
static err_t depth_levels(frame_t *f, fields_t *fields, bool predicted, part_t *part)
{
    part->levels = depth_sync_levels(&f->feed->sync);
    key_set(f, "b", 1);
    err_t err = levels_read(f, predicted ? &f->s : &fields->at[K_B], part, 0);
    if (err != ERR_OK) {
        return err;
    }
    if (predicted && scan_expect(&f->s, LIT(",\"a\":"))) {
        fields->seen |= 1u << K_A;
        key_set(f, "a", 1);
        err = levels_read(f, &f->s, part, 1);
        return err == ERR_OK && (err = fields_walk(f, fields)) == ERR_OK ? outer_end(f) : err;
    }
    if (predicted && ((err = fields_walk(f, fields)) != ERR_OK || (err = outer_end(f)) != ERR_OK)) {
        return err;
    }
    scan_t asks;
    if ((err = field_at(f, fields, K_A, &asks)) != ERR_OK) {
        return err;
    }
    return levels_read(f, &asks, part, 1);
}

static err_t depth_read(frame_t *f, part_t *part)
{
    const scan_t start = f->s;
    fields_t     fields;
    fields.seen     = 0;
    depth_ids_t ids = {.ts_recv_ns = f->in->ts_recv_ns};
    uint64_t    ms;
    err_t       err;
    const bool  predicted = !f->outer_walked && depth_predicted(f, &ids, &ms);
    if (predicted) {
        scan_opened_two(&f->s, false);
        fields.seen = 1u << K_E_TYPE | 1u << K_E | 1u << K_S | 1u << K_U | 1u << K_U_LAST | 1u << K_B;
        fields.seen |= is_futures(f->feed) ? 1u << K_T | 1u << K_PU : 0;
    } else {
        by_key_from(f, &start);
        if ((err = fields_walk(f, &fields)) != ERR_OK || (err = outer_end(f)) != ERR_OK ||
            (err = depth_by_key(f, &fields, &ids, &ms)) != ERR_OK) {
            return err;
        }
    }
    if ((err = ms_to_ns(ms, &ids.ts_event_ns)) != ERR_OK || (err = depth_sync_diff(&f->feed->sync, &ids)) != ERR_OK) {
        return err;
    }
    f->begun = true;
    return depth_levels(f, &fields, predicted, part);
}

static err_t decode_depth(frame_t *f)
{
    part_t      part = {.levels = NULL};
    const err_t err  = depth_read(f, &part);
    return err == ERR_OK ? depth_sync_end(&f->feed->sync, part.count[0], part.count[1]) : err;
}

/* ---- the outer object by key, REST snapshot ---------------------------------------------------------------------- */
enum { O_STREAM, O_DATA, O_LAST, O_BIDS, O_ASKS, O_SYMBOL, O_E, O_T, O_COUNT };
static const char *const outer_names[O_COUNT] = {[O_STREAM] = "stream", [O_DATA] = "data", [O_LAST] = "lastUpdateId",
                                                 [O_BIDS] = "bids",     [O_ASKS] = "asks", [O_SYMBOL] = "symbol",
                                                 [O_E] = "E",           [O_T] = "T"};

typedef struct outer {
    uint32_t   seen;
    scan_t     at[O_COUNT];
    scan_str_t first; /* the first key of all, to say what this is if it is not ours */
} outer_t;

static bool has(const outer_t *o, int k)
{
    return (o->seen >> k & 1) != 0;
}

/* The whole text, checked. */
static err_t outer_walk(frame_t *f, outer_t *o)
{
    scan_str_t key;
    o->seen  = 0;
    o->first = (scan_str_t){.text = ""};
    scan_init(&f->s, f->in->text, f->in->len);
    scan_enter_object(&f->s);
    for (bool first = true; scan_member(&f->s, &key) == ERR_OK; first = false) {
        if (first) {
            o->first = key;
        }
        key_set(f, key.text, key.len);
        for (int k = 0; k < O_COUNT; k++) {
            if (scan_str_is(&key, outer_names[k], strlen(outer_names[k]))) {
                if (has(o, k)) {
                    return bad(f, "comes twice");
                }
                o->seen |= 1u << k;
                o->at[k] = f->s;
                break;
            }
        }
        if (scan_skip(&f->s) != ERR_OK) {
            return bad_value(f, f->s.err);
        }
    }
    return scan_end(&f->s);
}

static err_t outer_u64(frame_t *f, const outer_t *o, int k, uint64_t *out)
{
    scan_t at = o->at[k];
    key_set(f, outer_names[k], strlen(outer_names[k]));
    const err_t err = scan_u64(&at, out);
    return err == ERR_OK ? ERR_OK : bad_value(f, err);
}

static err_t snapshot_feed(frame_t *f, const outer_t *o)
{
    if (!has(o, O_SYMBOL)) {
        f->feed = f->in->instrument_id != 0 ? feed_by_id(f->codec, f->in->instrument_id) : NULL;
        return f->feed != NULL
                   ? ERR_OK
                   : err_set(ERR_NOT_FOUND, "book snapshot names no symbol and its instrument is not known");
    }
    scan_t     at = o->at[O_SYMBOL];
    scan_str_t symbol;
    char       lower[SYMBOL_MAX + 1];
    key_set(f, LIT("symbol"));
    if (scan_string(&at, &symbol) != ERR_OK) {
        return bad_value(f, at.err);
    }
    if (!symbol.escaped && symbol.len <= SYMBOL_MAX) {
        f->feed = feed_by_lower(f->codec, lower, lower_of(lower, symbol.text, symbol.len));
    }
    return f->feed != NULL ? ERR_OK
                           : err_set(ERR_NOT_FOUND, "book snapshot of \"%.*s\", which has no feed",
                                     (int)(symbol.len < 32 ? symbol.len : 32), symbol.text);
}

static err_t snapshot_read(frame_t *f, outer_t *o, part_t *part)
{
    for (int k = O_BIDS; k <= O_ASKS; k++) {
        if (!has(o, k)) {
            key_set(f, outer_names[k], strlen(outer_names[k]));
            return bad(f, "is missing");
        }
    }
    depth_ids_t ids = {.ts_recv_ns = f->in->ts_recv_ns};
    uint64_t    ms  = 0;
    err_t       err;
    if ((err = outer_u64(f, o, O_LAST, &ids.last)) != ERR_OK ||
        (has(o, O_E) && (err = outer_u64(f, o, O_E, &ms)) != ERR_OK) ||
        (has(o, O_T) && (err = outer_u64(f, o, O_T, &ms)) != ERR_OK) ||
        (err = ms_to_ns(ms, &ids.ts_event_ns)) != ERR_OK) {
        return err;
    }
    ids.first = ids.last;
    if ((err = depth_sync_snapshot(&f->feed->sync, &ids)) != ERR_OK) {
        return err;
    }
    f->is_depth  = true;
    f->begun     = true;
    part->levels = depth_sync_levels(&f->feed->sync);
    for (int side = 0; side < 2; side++) {
        const int k = O_BIDS + side;
        key_set(f, outer_names[k], strlen(outer_names[k]));
        if ((err = levels_read(f, &o->at[k], part, side)) != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

static err_t decode_snapshot(frame_t *f, outer_t *o)
{
    part_t part = {.levels = NULL};
    err_t  err  = snapshot_feed(f, o);
    if (err == ERR_OK) {
        err = snapshot_read(f, o, &part);
    }
    return err == ERR_OK ? depth_sync_end(&f->feed->sync, part.count[0], part.count[1]) : err;
}

/* ---- dispatch ---------------------------------------------------------------------------------------------------- */
typedef err_t (*decode_fn_t)(frame_t *f);

/* What a stream's name asks for; NULL: of a kind or a symbol that is not ours to read. */
static decode_fn_t stream_kind(frame_t *f, const scan_str_t *name)
{
    const char *mark = name->escaped ? NULL : memchr(name->text, '@', name->len);
    if (mark == NULL) {
        return NULL;
    }
    const scan_str_t kind = {.text = mark + 1, .len = name->len - (size_t)(mark + 1 - name->text)};
    decode_fn_t      fn   = NULL;
    if (scan_str_is(&kind, LIT("bookTicker"))) {
        fn = decode_quote;
    } else if (scan_str_is(&kind, LIT("trade"))) {
        fn = decode_deal;
    } else if (scan_str_is(&kind, LIT("depth")) || (kind.len > 6 && memcmp(kind.text, "depth@", 6) == 0)) {
        fn = decode_depth;
    }
    f->feed     = fn != NULL ? feed_by_lower(f->codec, name->text, (size_t)(mark - name->text)) : NULL;
    f->is_depth = f->feed != NULL && fn == decode_depth;
    return f->feed != NULL ? fn : NULL;
}

/* Find stream and data, in any order. On ERR_OK *fn is NULL when the frame is done with. */
static err_t open_by_key(frame_t *f, decode_fn_t *fn)
{
    outer_t     o;
    const err_t err = outer_walk(f, &o);
    if (err == ERR_OK && has(&o, O_LAST) && !has(&o, O_STREAM)) {
        return decode_snapshot(f, &o);
    }
    if (has(&o, O_STREAM)) { /* also of a bad text: whose is it? */
        scan_str_t name;
        if (scan_string(&o.at[O_STREAM], &name) == ERR_OK) {
            *fn = stream_kind(f, &name);
        } else if (err == ERR_OK) {
            key_set(f, LIT("stream"));
            return bad_value(f, o.at[O_STREAM].err);
        }
    }
    if (err != ERR_OK) {
        return err;
    }
    if (!has(&o, O_STREAM) || !has(&o, O_DATA)) {
        return err_set(ERR_UNSUPPORTED,
                       "neither a combined-stream frame nor a book snapshot: the first key is \"%.*s\"",
                       (int)(o.first.len < 32 ? o.first.len : 32), o.first.text);
    }
    f->outer_walked = true;
    f->s            = o.at[O_DATA];
    if (*fn == NULL) {
        f->codec->stats.ignored++;
        return ERR_OK;
    }
    key_set(f, LIT("data"));
    return scan_enter_object(&f->s) == ERR_OK ? ERR_OK : bad_value(f, f->s.err);
}

static err_t open_frame(frame_t *f, decode_fn_t *fn)
{
    scan_str_t name;
    scan_init(&f->s, f->in->text, f->in->len);
    if (scan_expect(&f->s, LIT("{\"stream\":")) && scan_string(&f->s, &name) == ERR_OK &&
        scan_expect(&f->s, LIT(",\"data\":{"))) {
        *fn = stream_kind(f, &name);
        if (*fn != NULL) {
            return ERR_OK;
        }
    }
    return open_by_key(f, fn);
}

static err_t frame_failed(frame_t *f, err_t err)
{
    if (f->feed == NULL) {
        f->codec->stats.unassigned++;
        return err_wrap(err, "binance");
    }
    const bool scale = err == ERR_SCALE || err == ERR_RANGE;
    if (scale) {
        f->feed->stats.off_scale++;
    } else if (err != ERR_GAP && err != ERR_STATE) { /* which depth_sync has counted */
        f->feed->stats.garbled++;
    }
    if (f->is_depth && err != ERR_GAP) {
        depth_sync_abort(&f->feed->sync, f->begun, scale ? FEED_REASON_SCALE : FEED_REASON_GARBLED, f->in->ts_recv_ns);
    }
    return err_wrap(err, "binance: %s", f->feed->ref.symbol);
}

static err_t binance_decode(void *codec, const md_frame_t *in)
{
    codec_t *c = codec;
    frame_t  f = {.codec = c, .in = in};
    c->stats.frames++;
    decode_fn_t fn  = NULL;
    err_t       err = open_frame(&f, &fn);
    if (err == ERR_OK && fn != NULL) {
        err = fn(&f);
    }
    return err == ERR_OK ? ERR_OK : frame_failed(&f, err);
}

static void binance_lost(void *codec, uint32_t instrument_id, feed_reason_t reason, int64_t ts_recv_ns)
{
    codec_t *c = codec;
    for (uint32_t i = 0; i < c->feed_count; i++) {
        if (instrument_id == 0 || c->feeds[i].ref.instrument_id == instrument_id) {
            depth_sync_lost(&c->feeds[i].sync, reason, ts_recv_ns);
        }
    }
}

static const feed_stats_t *binance_feed_stats(const void *codec, uint32_t instrument_id)
{
    const feed_t *f = feed_by_id(codec, instrument_id);
    return f != NULL ? &f->stats : NULL;
}

static const codec_stats_t *binance_stats(const void *codec)
{
    const codec_t *c = codec;
    return &c->stats;
}

const venue_codec_t binance_codec = {.name       = "binance",
                                     .align      = binance_align,
                                     .footprint  = binance_footprint,
                                     .create     = binance_create,
                                     .feed_add   = binance_feed_add,
                                     .decode     = binance_decode,
                                     .lost       = binance_lost,
                                     .feed_stats = binance_feed_stats,
                                     .stats      = binance_stats};
