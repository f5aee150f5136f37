#include "tools/replay_dbn.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <search.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapters/files/dbn.h"
#include "core/analytics/quality.h"
#include "core/types/decimal.h"
#include "core/types/hash.h"
#include "tools/command.h"
#include "tools/order_tally.h"
#include "tools/summary.h"

#define PX_EXP 9                /* of a price in DBN */
#define ERRORS_MAX 20u          /* sentences kept; all are counted */
#define EXPECT_MAX 64u          /* facts */
#define BOOK_ORDERS_FIRST 1024u /* a book begins so, and doubles */
#define WHOLE_EVERY 4096u       /* records between two comparisons of whole books */
#define RTYPES 256u

typedef struct dbn_instrument {
    uint32_t id;
    uint16_t publisher;
    char     symbol[72];
    uint64_t records, crossed;
    uint32_t last_sequence;
    int64_t  last_ts_recv_ns;
    /* orders */
    mbo_t         *book; /* NULL: no order of it was seen */
    mbo_cfg_t      cfg;
    order_tally_t *tally; /* NULL: not asked for */
    uint64_t       unapplied;
    bool           in_snapshot;
    /* trades and bars */
    quality_tape_t tape;
    bar_t          bar; /* the one before; nothing known = none */
    uint8_t        bar_rtype;
    uint64_t       bar_count, bar_bad, bar_findings[QUALITY_RULES];
} dbn_instrument_t;

typedef struct dbn_replay {
    /* options */
    bool         check, json;
    char *const *files;
    uint32_t     file_count;
    char        *expect[EXPECT_MAX]; /* "key=value", allocated */
    uint32_t     expect_count;
    /* state */
    dbn_t             *file;
    const char        *path;
    void              *tree; /* of dbn_instrument_t, by id and publisher */
    dbn_instrument_t **list; /* in order of appearance */
    uint32_t           count, room;
    dbn_instrument_t  *last;
    /* result */
    uint64_t records, by_type[RTYPES], by_action[128];
    uint64_t checked, mismatched, whole, unknown, over, met; /* met: expectations that hold or do not */
    uint64_t error_count;
    json_t  *errors, *notes, *file_facts;
} dbn_replay_t;

static void usage(void)
{
    fputs(
        "usage: hwal replay FILE.dbn[.zst]... [--check] [--expect FILE | --expect KEY=VALUE,...] [--json]\n\n"
        "Read Databento files (DBN 1 to 3, plain or zstd; orders, trades, market by price, bars, definitions) as one "
        "stream;\n"
        "orders become books.\n\n"
        "  --check            orders against a second, slow keeper of orders and levels after every record; levels of "
        "a\n"
        "                     market by price; types against the schema\n"
        "  --expect FACTS     what must come out: KEY=VALUE,... or a file of such lines; may be repeated. KEY is a "
        "member of\n"
        "                     the JSON object (a path with dots), or of its one instrument\n"
        "  --dbn              the files are DBN, whatever their first bytes and names\n"
        "  --json             one JSON object on stdout\n\n"
        "Exit code: 0 ok; 1 a fault of the files, a difference or an expectation that does not hold (named); 2 "
        "usage.\n\n"
        "examples:\n"
        "  hwal replay esh4-20231224.mbo.dbn.zst esh4-20231225.mbo.dbn.zst --check\n"
        "  hwal replay esh4-20231225.mbo.dbn.zst --check --expect best_bid=4810.00,best_ask=4810.25,bid_levels=922\n"
        "  hwal replay trades.dbn.zst --json | jq .by_type\n",
        stdout);
}

bool replay_dbn_asked(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--dbn") == 0) {
            return true;
        }
        const size_t len = strlen(argv[i]);
        if ((len > 4 && strcmp(argv[i] + len - 4, ".dbn") == 0) ||
            (len > 8 && strcmp(argv[i] + len - 8, ".dbn.zst") == 0)) {
            return true;
        }
        static const uint8_t zstd[4]  = {0x28, 0xb5, 0x2f, 0xfd};
        uint8_t              magic[4] = {0};
        const int            fd       = open(argv[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        const bool           have     = fd >= 0 && pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic;
        if (fd >= 0) {
            close(fd);
        }
        if (have && (memcmp(magic, "DBN", 3) == 0 || memcmp(magic, zstd, sizeof zstd) == 0)) {
            return true;
        }
    }
    return false;
}

/* ---- what is wrong ----------------------------------------------------------------------------------------------- */
static void finding(dbn_replay_t *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void finding(dbn_replay_t *r, const char *fmt, ...)
{
    if (r->error_count++ < ERRORS_MAX) {
        char    text[1024];
        va_list args;
        va_start(args, fmt);
        (void)vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
        json_array_append_new(r->errors, command_text(text));
    }
}

/* A difference at a record. */
static void differs(dbn_replay_t *r, const dbn_record_t *rec, const char *text)
{
    r->mismatched++;
    finding(r, "%s: byte %" PRIu64 ": instrument %" PRIu32 ": %s", r->path, rec->offset, rec->instrument_id, text);
}

/* ---- instruments ------------------------------------------------------------------------------------------------- */
static int by_key(const void *a, const void *b)
{
    const dbn_instrument_t *x = a, *y = b;
    return x->id != y->id ? (x->id > y->id) - (x->id < y->id) : x->publisher - y->publisher;
}

static err_t instrument_new(dbn_replay_t *r, const dbn_record_t *rec, dbn_instrument_t **out)
{
    if (r->count == r->room) {
        const uint32_t     more = r->room ? 2 * r->room : 64;
        dbn_instrument_t **list = realloc(r->list, more * sizeof *list);
        if (!list) {
            return err_set(ERR_LIMIT, "out of memory at instrument %" PRIu32, rec->instrument_id);
        }
        r->list = list;
        r->room = more;
    }
    dbn_instrument_t *ins = calloc(1, sizeof *ins);
    if (!ins) {
        return err_set(ERR_LIMIT, "out of memory at instrument %" PRIu32, rec->instrument_id);
    }
    const char *symbol = dbn_symbol(r->file, rec->instrument_id);
    ins->id            = rec->instrument_id;
    ins->publisher     = rec->publisher_id;
    (void)snprintf(ins->symbol, sizeof ins->symbol, "%s", symbol ? symbol : "");
    if (!tsearch(ins, &r->tree, by_key)) {
        free(ins);
        return err_set(ERR_LIMIT, "out of memory at instrument %" PRIu32, rec->instrument_id);
    }
    r->list[r->count++] = ins;
    *out                = ins;
    return ERR_OK;
}

static err_t instrument_of(dbn_replay_t *r, const dbn_record_t *rec, dbn_instrument_t **out)
{
    const dbn_instrument_t key = {.id = rec->instrument_id, .publisher = rec->publisher_id};
    if (r->last && by_key(r->last, &key) == 0) {
        *out = r->last;
        return ERR_OK;
    }
    dbn_instrument_t **node = tfind(&key, &r->tree, by_key);
    const err_t        err  = node ? ERR_OK : instrument_new(r, rec, out);
    *out                    = node ? *node : *out;
    r->last                 = err ? NULL : *out;
    return err;
}

/* ---- orders ------------------------------------------------------------------------------------------------------ */
static err_t book_make(mbo_cfg_t cfg, mbo_t **out)
{
    const size_t bytes = mbo_footprint(&cfg), align = mbo_align();
    if (bytes == 0) {
        return ERR_LIMIT;
    }
    void *mem = aligned_alloc(align, (bytes + align - 1) / align * align);
    if (!mem) {
        return err_set(ERR_LIMIT, "out of memory for a book of %" PRIu32 " orders", cfg.orders_max);
    }
    *out = mbo_new(mem, &cfg);
    return ERR_OK;
}

/* Every order of one side, level by level in time priority. */
static void side_copy(const mbo_t *from, side_t side, mbo_order_t *queue, uint32_t room, mbo_t *to)
{
    mbo_level_t level;
    for (bool more = mbo_level(from, side, 0, &level); more; more = mbo_worse(from, side, &level)) {
        const uint32_t count = mbo_queue(from, side, level.px, queue, room);
        for (uint32_t i = 0; i < count; i++) {
            (void)mbo_add(to, queue[i].id, side, queue[i].px, queue[i].qty); /* it stood in a book: no fault can be */
        }
    }
}

/* Is there room for one more order and level? Else the book moves into one twice as large. A BROKEN book does not grow:
 * it takes nothing. */
static err_t book_room(dbn_instrument_t *ins)
{
    const uint32_t orders = mbo_order_count(ins->book, SIDE_BUY) + mbo_order_count(ins->book, SIDE_SELL);
    const uint32_t levels = mbo_level_count(ins->book, SIDE_BUY) + mbo_level_count(ins->book, SIDE_SELL);
    if ((orders < ins->cfg.orders_max && levels < ins->cfg.levels_max) || mbo_health(ins->book) == FEED_BROKEN) {
        return ERR_OK;
    }
    mbo_cfg_t more     = {.orders_max = 2 * ins->cfg.orders_max, .levels_max = 2 * ins->cfg.levels_max};
    more.levels_max    = more.levels_max < MBO_LEVELS_MAX ? more.levels_max : MBO_LEVELS_MAX;
    mbo_t       *book  = NULL;
    mbo_order_t *queue = malloc((orders + 1) * sizeof *queue);
    err_t        err   = queue ? book_make(more, &book) : err_set(ERR_LIMIT, "out of memory");
    if (!err) {
        mbo_clear(book);
        side_copy(ins->book, SIDE_BUY, queue, orders, book);
        side_copy(ins->book, SIDE_SELL, queue, orders, book);
        if (mbo_health(ins->book) == FEED_LIVE) {
            err = mbo_feed(book, FEED_LIVE, FEED_REASON_NONE);
        }
        free(ins->book);
        ins->book = book;
        ins->cfg  = more;
    }
    free(queue);
    return err ? err_wrap(err, "book of instrument %" PRIu32 ", %" PRIu32 " orders", ins->id, orders) : ERR_OK;
}

static void whole_check(dbn_replay_t *r, const dbn_instrument_t *ins, const dbn_record_t *rec)
{
    char text[ORDER_TALLY_TEXT];
    r->whole++;
    if (!order_tally_equal(ins->tally, ins->book, text)) {
        differs(r, rec, text);
    }
}

/* What the book said of the record, beside what the tally says of it. */
static void order_check(dbn_replay_t *r, dbn_instrument_t *ins, const dbn_record_t *rec, err_t book_err)
{
    char        text[ORDER_TALLY_TEXT];
    const err_t err = order_tally_record(ins->tally, &rec->mbo);
    r->checked++;
    if (book_err) {
        return; /* named already; the book waits for a snapshot now, and the tally is cleared with it */
    }
    if (err) {
        differs(r, rec, err_msg());
    } else if (!order_tally_agrees(ins->tally, ins->book, text)) {
        differs(r, rec, text);
    }
    const bool snapshot = (rec->mbo.flags & DBN_FLAG_SNAPSHOT) != 0;
    if ((ins->in_snapshot && !snapshot) || ins->records % WHOLE_EVERY == 0) {
        whole_check(r, ins, rec);
    }
    ins->in_snapshot = snapshot;
}

static err_t order_apply(dbn_replay_t *r, dbn_instrument_t *ins, const dbn_record_t *rec)
{
    const dbn_mbo_t *m = &rec->mbo;
    if (!ins->book) {
        ins->cfg  = (mbo_cfg_t){.orders_max = BOOK_ORDERS_FIRST, .levels_max = BOOK_ORDERS_FIRST};
        err_t err = book_make(ins->cfg, &ins->book);
        if (!err && r->check && !(ins->tally = order_tally_new())) {
            err = err_set(ERR_LIMIT, "out of memory for the second opinion");
        }
        if (err) {
            return err;
        }
    }
    const err_t room = book_room(ins);
    if (room) {
        return room;
    }
    const bool  broken = mbo_health(ins->book) == FEED_BROKEN;
    const err_t err    = dbn_book(ins->book, rec);
    if (err == ERR_AGAIN) {
        ins->unapplied += strchr("ACM", m->action) != NULL;
        return ERR_OK;
    }
    if (err) {
        r->unknown += err == ERR_NOT_FOUND;
        r->over += err == ERR_RANGE && m->action == 'C';
        differs(r, rec, err_msg());
    }
    if (ins->tally && broken) { /* this record heals it: a clear, or the first of a snapshot */
        order_tally_clear(ins->tally);
    }
    if (ins->tally) {
        order_check(r, ins, rec, err);
    }
    ins->crossed += (m->flags & DBN_FLAG_LAST) != 0 && mbo_health(ins->book) != FEED_BROKEN && mbo_crossed(ins->book);
    return ERR_OK;
}

/* ---- levels and bars --------------------------------------------------------------------------------------------- */
static void levels_check(dbn_replay_t *r, dbn_instrument_t *ins, const dbn_record_t *rec)
{
    const dbn_mbp_t *m      = &rec->mbp;
    bool             end[2] = {false, false};
    char             text[160];
    r->checked++;
    for (uint32_t i = 0; i < m->level_count; i++) {
        for (uint32_t ask = 0; ask < 2; ask++) {
            const dbn_level_t *l      = &m->levels[i];
            const dbn_level_t *better = i ? l - 1 : NULL;
            const int64_t      px     = ask ? l->ask_px : l->bid_px;
            const uint32_t     qty    = ask ? l->ask_qty : l->bid_qty;
            if (px == DBN_PX_NONE) {
                end[ask] = true;
                continue;
            }
            const bool  sorted = !better || (ask ? px > better->ask_px : px < better->bid_px);
            const char *fault  = end[ask]  ? "behind an empty level"
                                 : !sorted ? "not worse than the level before"
                                 : !qty    ? "without a quantity"
                                           : NULL;
            if (fault) {
                (void)snprintf(text, sizeof text, "%s level %" PRIu32 " at %" PRId64 " is %s", ask ? "ask" : "bid",
                               i + 1, px, fault);
                differs(r, rec, text);
                return;
            }
        }
    }
    const dbn_level_t *top = &m->levels[0];
    ins->crossed += top->bid_px != DBN_PX_NONE && top->ask_px != DBN_PX_NONE && top->bid_px >= top->ask_px;
}

/* A bar against the one before it: the rules that need no longer series. Bars without a trade are not in the file, so a
 * gap is none. */
static void bar_judge(dbn_instrument_t *ins, const dbn_record_t *rec)
{
    const dbn_ohlcv_t     *o       = &rec->ohlcv;
    const quality_limits_t limits  = {.change = QUALITY_LIMITS_USUAL.change, .z = 100, .gap_ns = INT64_MAX};
    const bool             series  = ins->bar.known && ins->bar_rtype == rec->rtype;
    const bar_t            pair[2] = {ins->bar,
                                      {.ts_begin_ns = rec->ts_event_ns,
                                       .ts_end_ns   = rec->ts_event_ns,
                                       .open        = o->open_px,
                                       .high        = o->high_px,
                                       .low         = o->low_px,
                                       .close       = o->close_px,
                                       .qty         = (i128_t)o->volume,
                                       .known       = BAR_PX}};
    quality_finding_t      found[2 * QUALITY_RULES];
    size_t                 count = 0;
    bool                   bad   = false;
    (void)quality_check(series ? pair : pair + 1, series ? 2 : 1, &limits, found, 2 * QUALITY_RULES, &count);
    for (size_t i = 0; i < count; i++) {
        if (found[i].index == series) {
            ins->bar_findings[found[i].rule]++;
            bad = true;
        }
    }
    ins->bar_bad += bad;
    ins->bar_count++;
    ins->bar       = pair[1];
    ins->bar_rtype = rec->rtype;
}

static void trade_judge(dbn_instrument_t *ins, const dbn_record_t *rec, int64_t px, int64_t qty)
{
    const quality_limits_t limits = QUALITY_LIMITS_USUAL;
    (void)quality_trade(&ins->tape, &limits, rec->ts_event_ns, px, qty);
}

/* ---- schemas and content ----------------------------------------------------------------------------------------- */
typedef struct type_name {
    uint8_t     rtype;
    const char *name;
} type_name_t;

static const type_name_t types[] = {
    {0x00, "trades"},     {0x01, "mbp-1"},     {0x0a, "mbp-10"},   {0x11, "ohlcv"},          {0x12, "status"},
    {0x13, "definition"}, {0x14, "imbalance"}, {0x15, "error"},    {0x16, "symbol-mapping"}, {0x17, "system"},
    {0x18, "statistics"}, {0x20, "ohlcv-1s"},  {0x21, "ohlcv-1m"}, {0x22, "ohlcv-1h"},       {0x23, "ohlcv-1d"},
    {0x24, "ohlcv-eod"},  {0xa0, "mbo"},       {0xb1, "cmbp-1"},   {0xc0, "cbbo-1s"},        {0xc1, "cbbo-1m"},
    {0xc2, "tcbbo"},      {0xc3, "bbo-1s"},    {0xc4, "bbo-1m"}};

static const char *const schemas[] = {"mbo",        "mbp-1",    "mbp-10",    "tbbo",      "trades",
                                      "ohlcv-1s",   "ohlcv-1m", "ohlcv-1h",  "ohlcv-1d",  "definition",
                                      "statistics", "status",   "imbalance", "ohlcv-eod", "cmbp-1",
                                      "cbbo-1s",    "cbbo-1m",  "tcbbo",     "bbo-1s",    "bbo-1m"};
#define SCHEMAS (sizeof schemas / sizeof schemas[0])

const char *replay_dbn_schema(uint16_t schema)
{
    return schema < SCHEMAS ? schemas[schema] : "mixed";
}

static const char *type_of(uint8_t rtype)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].rtype == rtype) {
            return types[i].name;
        }
    }
    return "unknown";
}

/* Does a record of this type belong into a file of this schema? What a venue's session adds (errors, mappings) does. */
static bool type_fits(uint16_t schema, uint8_t rtype)
{
    if (schema >= SCHEMAS || (rtype >= 0x15 && rtype <= 0x17)) {
        return true; /* mixed, or newer than this table */
    }
    const char *type = type_of(rtype);
    return strcmp(schemas[schema], "tbbo") == 0 ? strcmp(type, "mbp-1") == 0
                                                : strncmp(schemas[schema], type, strlen(type)) == 0;
}

static uint64_t mbp_hash(uint64_t hash, const dbn_mbp_t *m)
{
    const int64_t fields[] = {m->px,    m->qty,   m->sequence, m->ts_recv_ns, m->ts_in_delta_ns,
                              m->flags, m->depth, m->action,   m->side,       m->level_count};
    hash                   = hash_bytes(hash, fields, sizeof fields);
    return hash_bytes(hash, m->levels, m->level_count * sizeof m->levels[0]);
}

static uint64_t text_hash(uint64_t hash, const char *text)
{
    return hash_bytes(hash, text, strlen(text) + 1);
}

static uint64_t definition_hash(uint64_t hash, const dbn_definition_t *d)
{
    const int64_t fields[] = {
        d->ts_recv_ns,          d->min_px_increment, d->display_factor,      d->expiration_ns, d->activation_ns,
        d->high_limit_px,       d->low_limit_px,     d->unit_of_measure_qty, d->strike_px,     d->lot,
        d->contract_multiplier, d->instrument_class, d->update_action};
    hash = hash_bytes(hash, fields, sizeof fields);
    hash = text_hash(text_hash(hash, d->currency), d->settl_currency);
    hash = text_hash(text_hash(hash, d->symbol), d->exchange);
    hash = text_hash(text_hash(hash, d->asset), d->security_type);
    return text_hash(hash, d->underlying);
}

static uint64_t content_hash(uint64_t hash, const dbn_record_t *rec)
{
    const int64_t head[] = {rec->rtype, rec->publisher_id, rec->instrument_id, rec->ts_event_ns, rec->ts_out_ns};
    hash                 = hash_bytes(hash, head, sizeof head);
    switch (rec->kind) {
    case DBN_MBO: {
        const dbn_mbo_t *m        = &rec->mbo;
        const int64_t    fields[] = {(int64_t)m->order_id, m->px,    m->qty,     m->sequence, m->ts_recv_ns,
                                     m->ts_in_delta_ns,    m->flags, m->channel, m->action,   m->side};
        return hash_bytes(hash, fields, sizeof fields);
    }
    case DBN_TRADE:
    case DBN_MBP: return mbp_hash(hash, &rec->mbp);
    case DBN_OHLCV: {
        const dbn_ohlcv_t *o        = &rec->ohlcv;
        const int64_t      fields[] = {o->open_px, o->high_px, o->low_px, o->close_px, (int64_t)o->volume};
        return hash_bytes(hash, fields, sizeof fields);
    }
    case DBN_DEFINITION: return definition_hash(hash, &rec->definition);
    default: return hash;
    }
}

/* ---- the stream -------------------------------------------------------------------------------------------------- */
static err_t record_apply(dbn_replay_t *r, const dbn_record_t *rec)
{
    dbn_instrument_t *ins = NULL;
    r->records++;
    r->by_type[rec->rtype]++;
    if (r->check && !type_fits(dbn_meta(r->file)->schema, rec->rtype)) {
        char text[96];
        (void)snprintf(text, sizeof text, "type %s (0x%02x) in a file of schema %s", type_of(rec->rtype), rec->rtype,
                       schemas[dbn_meta(r->file)->schema]);
        differs(r, rec, text);
    }
    if (rec->kind == DBN_OTHER || rec->kind == DBN_DEFINITION) {
        return ERR_OK;
    }
    err_t err = instrument_of(r, rec, &ins);
    if (err) {
        return err;
    }
    ins->records++;
    if (rec->kind == DBN_MBO) {
        r->by_action[(uint8_t)rec->mbo.action]++;
        if (rec->mbo.ts_recv_ns < ins->last_ts_recv_ns) { /* the book would be one that never was */
            finding(r,
                    "%s: instrument %" PRIu32 ": received at %" PRId64 ", before the record before it (%" PRId64
                    "): files in the wrong order, or one twice?",
                    r->path, ins->id, rec->mbo.ts_recv_ns, ins->last_ts_recv_ns);
        }
        ins->last_sequence   = rec->mbo.sequence;
        ins->last_ts_recv_ns = rec->mbo.ts_recv_ns;
        if (rec->mbo.action == 'T') {
            trade_judge(ins, rec, rec->mbo.px, rec->mbo.qty);
        }
        return order_apply(r, ins, rec);
    }
    if (rec->kind == DBN_OHLCV) {
        bar_judge(ins, rec);
        return ERR_OK;
    }
    ins->last_sequence   = rec->mbp.sequence;
    ins->last_ts_recv_ns = rec->mbp.ts_recv_ns;
    r->by_action[(uint8_t)rec->mbp.action]++;
    if (rec->mbp.action == 'T') {
        trade_judge(ins, rec, rec->mbp.px, rec->mbp.qty);
    }
    if (r->check && rec->kind == DBN_MBP) {
        levels_check(r, ins, rec);
    }
    return ERR_OK;
}

static void file_fact(dbn_replay_t *r, uint64_t records, uint64_t hash)
{
    const dbn_meta_t *meta = dbn_meta(r->file);
    char              text[20];
    (void)snprintf(text, sizeof text, "%016" PRIx64, hash);
    json_array_append_new(r->file_facts,
                          json_pack("{s:o, s:i, s:s, s:o, s:I, s:s}", "file", command_text(r->path), "version",
                                    (int)meta->version, "schema", replay_dbn_schema(meta->schema), "dataset",
                                    command_text(meta->dataset), "records", (json_int_t)records, "content_hash", text));
}

static err_t file_apply(dbn_replay_t *r, const char *path)
{
    dbn_record_t rec;
    uint64_t     records = 0, hash = 0;
    r->path   = path;
    err_t err = dbn_open(path, &r->file);
    if (err) {
        return err;
    }
    while (!err && (err = dbn_next(r->file, &rec)) == ERR_OK) {
        records++;
        hash = content_hash(hash, &rec);
        err  = record_apply(r, &rec);
    }
    file_fact(r, records, hash);
    dbn_close(r->file);
    r->file = NULL;
    return err == ERR_END ? ERR_OK : err;
}

/* The stream ends in the middle of something: what followed nobody knows. */
static void lose(dbn_replay_t *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->list[i]->book) {
            (void)mbo_feed(r->list[i]->book, FEED_BROKEN, FEED_REASON_LOST);
        }
    }
}

static void stream_apply(dbn_replay_t *r)
{
    err_t err = ERR_OK;
    for (uint32_t i = 0; i < r->file_count && !err; i++) {
        err = file_apply(r, r->files[i]);
    }
    if (err) {
        finding(r, "%s", err_msg());
        lose(r);
    }
    for (uint32_t i = 0; i < r->count; i++) {
        dbn_instrument_t  *ins = r->list[i];
        const dbn_record_t end = {.instrument_id = ins->id};
        char               text[256];
        if (ins->tally && mbo_health(ins->book) != FEED_BROKEN) {
            whole_check(r, ins, &end);
        }
        if (ins->unapplied) {
            (void)snprintf(text, sizeof text,
                           "instrument %" PRIu32 ": %" PRIu64
                           " order records stand before a clear or a snapshot: no book takes them",
                           ins->id, ins->unapplied);
            json_array_append_new(r->notes, json_string(text));
        }
    }
}

/* ---- the result as JSON ------------------------------------------------------------------------------------------ */
static json_t *px_json(int64_t px)
{
    char   text[DECIMAL_TEXT_MAX];
    size_t len = decimal_format(px, PX_EXP, text);
    while (text[len - 1] == '0' && text[len - 3] != '.') { /* cents stay */
        len--;
    }
    return json_stringn(text, len);
}

static void side_json(json_t *o, const mbo_t *book, side_t side)
{
    const char *name = side == SIDE_BUY ? "bid" : "ask";
    char        key[32];
    mbo_level_t best, level;
    int64_t     sum = 0;
    const bool  any = mbo_level(book, side, 0, &best);
    for (bool more = mbo_level(book, side, 0, &level); more; more = mbo_worse(book, side, &level)) {
        sum += level.qty;
    }
    (void)snprintf(key, sizeof key, "best_%s", name);
    json_object_set_new(o, key, any ? px_json(best.px) : json_null());
    (void)snprintf(key, sizeof key, "best_%s_qty", name);
    json_object_set_new(o, key, json_integer(best.qty));
    (void)snprintf(key, sizeof key, "%s_levels", name);
    json_object_set_new(o, key, json_integer(mbo_level_count(book, side)));
    (void)snprintf(key, sizeof key, "%s_qty", name);
    json_object_set_new(o, key, json_integer(sum));
}

static json_t *instrument_json(const dbn_instrument_t *ins)
{
    json_t *o = json_pack("{s:o, s:I, s:I, s:I, s:I, s:I}", "symbol", command_text(ins->symbol), "records",
                          (json_int_t)ins->records, "trades", (json_int_t)ins->tape.trades, "crossed_events",
                          (json_int_t)ins->crossed, "last_sequence", (json_int_t)ins->last_sequence, "last_ts_recv_ns",
                          (json_int_t)ins->last_ts_recv_ns);
    if (ins->book) {
        json_object_set_new(o, "health", json_string(feed_health_str(mbo_health(ins->book))));
        json_object_set_new(o, "reason", json_string(feed_reason_str(mbo_reason(ins->book))));
        json_object_set_new(o, "orders",
                            json_integer(mbo_order_count(ins->book, SIDE_BUY) + mbo_order_count(ins->book, SIDE_SELL)));
        side_json(o, ins->book, SIDE_BUY);
        side_json(o, ins->book, SIDE_SELL);
        json_object_set_new(o, "unapplied", json_integer((json_int_t)ins->unapplied));
    }
    if (ins->tape.bad) {
        json_object_set_new(o, "quality",
                            summary_quality(ins->tape.trades, "trades", ins->tape.bad, ins->tape.findings));
    } else if (ins->bar_bad) {
        json_object_set_new(o, "quality", summary_quality(ins->bar_count, "bars", ins->bar_bad, ins->bar_findings));
    }
    return o;
}

static json_t *instruments_json(const dbn_replay_t *r)
{
    json_t *all = json_object();
    for (uint32_t i = 0; i < r->count; i++) {
        const dbn_instrument_t *ins = r->list[i];
        char                    key[32];
        (void)snprintf(key, sizeof key, "%" PRIu32, ins->id);
        if (json_object_get(all, key)) {
            (void)snprintf(key, sizeof key, "%" PRIu32 "@%u", ins->id, ins->publisher);
        }
        json_object_set_new(all, key, instrument_json(ins));
    }
    return all;
}

static json_t *result_json(const dbn_replay_t *r)
{
    static const struct {
        char        action;
        const char *name;
    } actions[]     = {{'A', "add"},   {'C', "cancel"}, {'M', "modify"}, {'R', "clear"},
                       {'T', "trade"}, {'F', "fill"},   {'N', "none"}};
    json_t *by_type = json_object(), *by_action = json_object();
    for (uint32_t i = 0; i < RTYPES; i++) {
        if (r->by_type[i]) {
            json_t *const before = json_object_get(by_type, type_of((uint8_t)i)); /* several unknown ones */
            json_object_set_new(by_type, type_of((uint8_t)i),
                                json_integer(json_integer_value(before) + (json_int_t)r->by_type[i]));
        }
    }
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (r->by_action[(uint8_t)actions[i].action]) {
            json_object_set_new(by_action, actions[i].name,
                                json_integer((json_int_t)r->by_action[(uint8_t)actions[i].action]));
        }
    }
    return json_pack("{s:s, s:s, s:I, s:o, s:o, s:O, s:o}", "command", "replay", "format", "dbn", "records",
                     (json_int_t)r->records, "by_type", by_type, "by_action", by_action, "files", r->file_facts,
                     "instruments", instruments_json(r));
}

/* ---- what must come out ------------------------------------------------------------------------------------------ */
/* The member at a path with dots; NULL when there is none. path is taken apart. */
static const json_t *member(const json_t *object, const char *path)
{
    while (object && *path) {
        const size_t len  = strcspn(path, ".");
        const char  *rest = path + len + (path[len] == '.');
        object            = json_object_getn(object, path, len);
        path              = rest;
    }
    return object;
}

static void value_text(const json_t *value, char *out, size_t room)
{
    if (json_is_string(value)) {
        (void)snprintf(out, room, "%s", json_string_value(value));
    } else {
        const size_t len                 = value ? json_dumpb(value, out, room - 1, JSON_ENCODE_ANY | JSON_COMPACT) : 0;
        out[len < room ? len : room - 1] = 0;
    }
}

static bool value_same(const char *a, const char *b)
{
    int64_t x, y;
    return strcmp(a, b) == 0 || (decimal_parse(a, strlen(a), PX_EXP, &x) == ERR_OK &&
                                 decimal_parse(b, strlen(b), PX_EXP, &y) == ERR_OK && x == y);
}

static void expect_check(dbn_replay_t *r, const json_t *result)
{
    const json_t *all = json_object_get(result, "instruments");
    const json_t *only =
        json_object_size(all) == 1 ? json_object_iter_value(json_object_iter((json_t *)(uintptr_t)all)) : NULL;
    for (uint32_t i = 0; i < r->expect_count; i++) {
        char         *key = r->expect[i], *want = strchr(key, '=');
        char          have[256];
        const size_t  len = (size_t)(want - key);
        char          name[128];
        const json_t *value;
        (void)snprintf(name, sizeof name, "%.*s", (int)len, key);
        want++;
        value = member(only, name);
        value = value ? value : member(result, name);
        r->met++;
        value_text(value, have, sizeof have);
        if (!value) {
            r->mismatched++;
            finding(r, "expected %s: there is no %s%s", key, name,
                    r->count == 1 ? "" : " (with several instruments: instruments.ID.KEY)");
        } else if (!value_same(have, want)) {
            r->mismatched++;
            finding(r, "expected %s: it is %s", key, have);
        }
    }
}

static err_t expect_add(dbn_replay_t *r, const char *text, size_t len)
{
    const char *equal = memchr(text, '=', len);
    if (!equal || equal == text) {
        return err_set(ERR_PARSE, "\"%.*s\" is not KEY=VALUE", (int)len, text);
    }
    if (r->expect_count == EXPECT_MAX) {
        return err_set(ERR_LIMIT, "more than %u expected facts", EXPECT_MAX);
    }
    r->expect[r->expect_count] = strndup(text, len);
    if (!r->expect[r->expect_count]) {
        return err_set(ERR_LIMIT, "out of memory");
    }
    r->expect_count++;
    return ERR_OK;
}

static err_t expect_file(dbn_replay_t *r, const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        return err_set(ERR_IO, "%s: cannot be opened, and is not KEY=VALUE", path);
    }
    char  line[256];
    err_t err = ERR_OK;
    for (uint32_t n = 1; !err && fgets(line, sizeof line, f); n++) {
        size_t       len  = strcspn(line, "#\r\n");
        const size_t from = strspn(line, " \t");
        while (len > from && (line[len - 1] == ' ' || line[len - 1] == '\t')) {
            len--;
        }
        err = len > from ? expect_add(r, line + from, len - from) : ERR_OK;
        err = err ? err_wrap(err, "%s line %" PRIu32, path, n) : ERR_OK;
    }
    (void)fclose(f);
    return err;
}

static err_t expect_option(dbn_replay_t *r, const char *text)
{
    if (!strchr(text, '=')) {
        return expect_file(r, text);
    }
    err_t err = ERR_OK;
    while (!err && *text) {
        const size_t len = strcspn(text, ",");
        err              = expect_add(r, text, len);
        text += len + (text[len] == ',');
    }
    return err;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */
static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static int64_t int_of(const json_t *object, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(object, key));
}

static void print_text(const dbn_replay_t *r, json_t *result)
{
    const char *key;
    size_t      i;
    json_t     *value;
    printf("dbn: %" PRIu64 " records", r->records);
    json_object_foreach(json_object_get(result, "by_type"), key, value)
    {
        printf("  %s %" JSON_INTEGER_FORMAT, key, json_integer_value(value));
    }
    putchar('\n');
    json_object_foreach(json_object_get(result, "by_action"), key, value)
    {
        printf("  %s %" JSON_INTEGER_FORMAT, key, json_integer_value(value));
    }
    putchar('\n');
    json_array_foreach(r->file_facts, i, value)
    {
        printf("  %s: DBN %" PRId64 ", %s, %s, %" PRId64 " records, content %s\n", text_of(value, "file"),
               int_of(value, "version"), text_of(value, "dataset"), text_of(value, "schema"), int_of(value, "records"),
               text_of(value, "content_hash"));
    }
    json_object_foreach(json_object_get(result, "instruments"), key, value)
    {
        printf("\n%s %s: %" PRId64 " records, %" PRId64 " trades, last sequence %" PRId64 ", last receive time %" PRId64
               " ns\n",
               key, text_of(value, "symbol"), int_of(value, "records"), int_of(value, "trades"),
               int_of(value, "last_sequence"), int_of(value, "last_ts_recv_ns"));
        if (json_object_get(value, "health")) {
            printf("  book %s: bid %s x %" PRId64 ", ask %s x %" PRId64 ", levels %" PRId64 ",%" PRId64 ", %" PRId64
                   " orders, total bid %" PRId64 ", ask %" PRId64 ", crossed at %" PRId64 " event ends\n",
                   text_of(value, "health"), text_of(value, "best_bid"), int_of(value, "best_bid_qty"),
                   text_of(value, "best_ask"), int_of(value, "best_ask_qty"), int_of(value, "bid_levels"),
                   int_of(value, "ask_levels"), int_of(value, "orders"), int_of(value, "bid_qty"),
                   int_of(value, "ask_qty"), int_of(value, "crossed_events"));
        }
        summary_quality_text(stdout, "  ", json_object_get(value, "quality"));
    }
    if (r->check || r->expect_count) {
        printf("\noracle: %" PRIu64 " records checked, %" PRIu64 " differ, %" PRIu64 " whole books, %" PRIu64
               " unknown orders, %" PRIu64 " over-cancels, %" PRIu64 " facts expected\n",
               r->checked, r->mismatched, r->whole, r->unknown, r->over, r->met);
    }
    json_array_foreach(r->notes, i, value)
    {
        printf("note: %s\n", json_string_value(value));
    }
}

static void print(dbn_replay_t *r, json_t *result)
{
    if (!r->json) {
        print_text(r, result);
        return;
    }
    json_object_set_new(result, "oracle",
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "checked", (json_int_t)r->checked, "mismatched",
                                  (json_int_t)r->mismatched, "whole_books", (json_int_t)r->whole, "unknown_orders",
                                  (json_int_t)r->unknown, "over_cancels", (json_int_t)r->over, "expected",
                                  (json_int_t)r->met));
    json_object_set(result, "notes", r->notes);
    json_object_set(result, "errors", r->errors);
    json_dumpf(result, stdout, JSON_INDENT(2));
    fputc('\n', stdout);
}

static int options(dbn_replay_t *r, int argc, char **argv)
{
    enum { OPT_DBN = 256, OPT_CHECK, OPT_EXPECT, OPT_JSON };
    static const struct option list[] = {{"dbn", no_argument, NULL, OPT_DBN},
                                         {"check", no_argument, NULL, OPT_CHECK},
                                         {"expect", required_argument, NULL, OPT_EXPECT},
                                         {"json", no_argument, NULL, OPT_JSON},
                                         {"help", no_argument, NULL, 'h'},
                                         {NULL, 0, NULL, 0}};
    int                        opt;
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "h", list, NULL)) != -1) {
        switch (opt) {
        case OPT_DBN: break;
        case OPT_CHECK: r->check = true; break;
        case OPT_EXPECT:
            if (expect_option(r, optarg)) {
                return command_error("replay", EXIT_USAGE, "--expect %s", err_msg());
            }
            break;
        case OPT_JSON: r->json = true; break;
        case 'h': usage(); return -1;
        default: return command_unknown("replay", argv);
        }
    }
    r->files      = argv + optind;
    r->file_count = (uint32_t)(argc - optind);
    return r->file_count ? EXIT_OK : command_error("replay", EXIT_USAGE, "no DBN file given (--dbn --help)");
}

static void replay_free(dbn_replay_t *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        free(r->list[i]->book);
        order_tally_free(r->list[i]->tally);
        tdelete(r->list[i], &r->tree, by_key);
        free(r->list[i]);
    }
    for (uint32_t i = 0; i < r->expect_count; i++) {
        free(r->expect[i]);
    }
    free(r->list);
    json_decref(r->errors);
    json_decref(r->notes);
    json_decref(r->file_facts);
    free(r);
}

int replay_dbn_command(int argc, char **argv)
{
    dbn_replay_t *r = calloc(1, sizeof *r);
    if (!r) {
        return command_error("replay", EXIT_FINDING, "out of memory");
    }
    r->errors     = json_array();
    r->notes      = json_array();
    r->file_facts = json_array();
    int code      = options(r, argc, argv);
    if (code) {
        replay_free(r);
        return code < 0 ? EXIT_OK : code;
    }
    stream_apply(r);
    json_t *result = result_json(r);
    expect_check(r, result);
    if (r->error_count > ERRORS_MAX) {
        char text[64];
        (void)snprintf(text, sizeof text, "and %" PRIu64 " more", r->error_count - ERRORS_MAX);
        json_array_append_new(r->errors, json_string(text));
    }
    print(r, result);
    size_t  i;
    json_t *text;
    json_array_foreach(r->errors, i, text)
    {
        code = command_error("replay", EXIT_FINDING, "%s", json_string_value(text));
    }
    json_decref(result);
    replay_free(r);
    return code;
}
