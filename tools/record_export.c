/* hwal record export: a recording as CSV (a row a level) or as JSONL (an object a message), prices and quantities as exact
 * decimals of their instrument. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/types/decimal.h"
#include "tools/command.h"
#include "tools/describe.h"
#include "tools/record.h"

typedef struct export
{
    const char *path, *out, *symbol;
    bool        jsonl;
    int64_t     from_ns, to_ns;
    msg_type_t  type; /* NONE = any */
    uint32_t    instrument_id;
    FILE       *to;
    uint64_t    rows;
    attach_t    about; /* what describe_*() look instruments up in */
}
export_t;

static void usage(void)
{
    fputs(
        "usage: hwal record export FILE --csv|--jsonl [OPTIONS]\n\n"
        "  --csv              a row a level, trade, side of a quote or other message (columns below)\n"
        "  --jsonl            one JSON object a message: all its fields\n"
        "  --out FILE         instead of standard output; an existing file is refused\n"
        "  --from T, --to T   only messages from T on, before T: UTC as 2024-08-08T12:00:00.5, or nanoseconds\n"
        "  --instrument S     only messages about this symbol (or id)\n"
        "  --type T           only messages of this type: BOOK_UPDATE, TRADE, TOP, FEED_STATE ...\n\n"
        "CSV columns: number (of the entry, from 1), ts_ns, source, seq (in its source), type, instrument_id, symbol,\n"
        "action (BOOK_UPDATE: SNAPSHOT or UPDATE; MBO_UPDATE: ADD, MODIFY, CANCEL, FILL; FEED_STATE: its health;\n"
        "EXEC_REPORT: ExecType), side (BUY, SELL; of a TRADE the aggressor's), px, qty (of a level 0 = it is gone), "
        "id\n"
        "(rpt_seq, trade_id, order_id, cl_ord_id), venue_seq, ts_event_ns, mark (REFRESH: a book as it stood at a "
        "sync,\n"
        "nothing that happened; LOSS: the recorder lost messages here). A field that a message does not have is "
        "empty.\n\n"
        "Exit code: 0 all of it; 1 damage, or no end (what is whole was written); 2 usage.\n\n"
        "examples:\n"
        "  hwal record export market.hwr --csv --type TRADE --instrument BTCUSDT > trades.csv\n"
        "  hwal record export market.hwr --jsonl --from 2024-08-08T12:00:00 --to 2024-08-08T12:01:00 --out "
        "minute.jsonl\n",
        stdout);
}

/* ---- CSV ------------------------------------------------------------------------------------------------------------- */
typedef struct row {
    const char *action, *side;
    bool        priced;
    uint8_t     reserved[7];
    int64_t     px, qty;
    bool        named; /* has id */
    uint64_t    id, venue_seq;
    int64_t     ts_event_ns;
} row_t;

static const char *side_text(uint8_t side)
{
    return side == SIDE_BUY ? "BUY" : side == SIDE_SELL ? "SELL" : "";
}

static void put_decimal(FILE *to, int64_t value, const attach_instrument_t *ins, bool px)
{
    char text[DECIMAL_TEXT_MAX];
    if (ins) { /* a number whose scale is not known is left empty, never guessed */
        decimal_format(value, (unsigned)(px ? ins->def.px_exp : ins->def.qty_exp), text);
        fputs(text, to);
    }
}

static void put_row(export_t *x, const recording_reader_t *r, const recording_entry_t *entry, const row_t *row)
{
    const uint32_t             id  = entry->topic;
    const attach_instrument_t *ins = attach_instrument(&x->about, id);
    const char *mark = entry->flags & RECORDING_REFRESH ? "REFRESH" : entry->flags & RECORDING_LOSS ? "LOSS" : "";
    fprintf(x->to, "%" PRIu64 ",%" PRId64 ",%s,%" PRIu64 ",%s,%u,%s,%s,%s,", entry->number, entry->ts_ns,
            recording_about(r)->source[entry->source], entry->seq, msg_type_str(entry->msg.type), id,
            ins ? ins->symbol : "", row->action, row->side);
    if (row->priced) {
        put_decimal(x->to, row->px, ins, true);
    }
    fputc(',', x->to);
    if (row->priced) {
        put_decimal(x->to, row->qty, ins, false);
    }
    fputc(',', x->to);
    if (row->named) {
        fprintf(x->to, "%" PRIu64, row->id);
    }
    fputc(',', x->to);
    if (row->venue_seq != 0) {
        fprintf(x->to, "%" PRIu64, row->venue_seq);
    }
    fputc(',', x->to);
    if (row->ts_event_ns != 0) {
        fprintf(x->to, "%" PRId64, row->ts_event_ns);
    }
    fprintf(x->to, ",%s\n", mark);
    x->rows++;
}

static void csv_entry(export_t *x, const recording_reader_t *r, const recording_entry_t *entry)
{
    static const char *const actions[] = {"", "ADD", "MODIFY", "CANCEL", "FILL"};
    row_t                    row       = {.action = "", .side = ""};
    switch (entry->msg.type) {
    case MSG_BOOK_UPDATE: {
        const book_update_t *upd    = entry->msg.body;
        const level_t       *levels = entry->msg.tail;
        row                         = (row_t){.action      = upd->flags & BOOK_FLAG_SNAPSHOT ? "SNAPSHOT" : "UPDATE",
                                              .side        = "",
                                              .named       = true,
                                              .id          = upd->rpt_seq,
                                              .venue_seq   = upd->venue_seq,
                                              .ts_event_ns = upd->ts_event_ns};
        for (uint32_t i = 0; i < entry->msg.tail_count; i++) {
            row.priced = true;
            row.side   = i < upd->bid_count ? "BUY" : "SELL";
            row.px     = levels[i].px;
            row.qty    = levels[i].qty;
            put_row(x, r, entry, &row);
        }
        if (entry->msg.tail_count == 0) {
            put_row(x, r, entry, &row);
        }
        return;
    }
    case MSG_MBO_UPDATE: {
        const mbo_update_t *upd = entry->msg.body;
        const mbo_entry_t  *e   = entry->msg.tail;
        row = (row_t){.action = "", .side = "", .venue_seq = upd->venue_seq, .ts_event_ns = upd->ts_event_ns};
        for (uint32_t i = 0; i < entry->msg.tail_count; i++) {
            row.priced = row.named = true;
            row.action             = actions[e[i].action <= MBO_FILL ? e[i].action : 0];
            row.side               = side_text(e[i].side);
            row.px                 = e[i].px;
            row.qty                = e[i].qty;
            row.id                 = e[i].order_id;
            put_row(x, r, entry, &row);
        }
        if (entry->msg.tail_count == 0) {
            put_row(x, r, entry, &row);
        }
        return;
    }
    case MSG_TRADE: {
        const trade_t *t = entry->msg.body;
        row              = (row_t){.action      = "",
                                   .side        = side_text(t->aggressor_side),
                                   .priced      = true,
                                   .px          = t->px,
                                   .qty         = t->qty,
                                   .named       = true,
                                   .id          = t->trade_id,
                                   .ts_event_ns = t->ts_event_ns};
        break;
    }
    case MSG_TOP: {
        const top_t *t = entry->msg.body;
        row            = (row_t){
                       .action = "", .side = "BUY", .priced = true, .px = t->bid_px, .qty = t->bid_qty, .venue_seq = t->venue_seq};
        row.ts_event_ns = t->ts_event_ns;
        put_row(x, r, entry, &row);
        row.side = "SELL";
        row.px   = t->ask_px;
        row.qty  = t->ask_qty;
        break;
    }
    case MSG_FEED_STATE:
        row.action = feed_health_str((feed_health_t)((const feed_state_t *)entry->msg.body)->health);
        break;
    case MSG_EXEC_REPORT: {
        const exec_report_t *e       = entry->msg.body;
        static char          type[2] = "";
        type[0]                      = (char)e->exec_type;
        row                          = (row_t){.action      = e->exec_type ? type : "",
                                               .side        = side_text(e->side),
                                               .priced      = true,
                                               .px          = e->last_px,
                                               .qty         = e->last_qty,
                                               .named       = true,
                                               .id          = e->cl_ord_id,
                                               .ts_event_ns = e->ts_event_ns};
        break;
    }
    default: break;
    }
    put_row(x, r, entry, &row);
}

/* ---- JSONL ----------------------------------------------------------------------------------------------------------- */
static void put_levels(json_t *decimals, const attach_t *a, const msg_t *msg, uint32_t topic)
{
    const attach_instrument_t *ins = attach_instrument(a, topic);
    if (msg->type != MSG_BOOK_UPDATE || !ins) {
        return;
    }
    const level_t *levels = msg->tail;
    json_t        *bids = json_array(), *asks = json_array();
    for (uint32_t i = 0; i < msg->tail_count; i++) {
        json_array_append_new(i < ((const book_update_t *)msg->body)->bid_count ? bids : asks,
                              json_pack("[o, o]", describe_decimal(levels[i].px, ins->def.px_exp),
                                        describe_decimal(levels[i].qty, ins->def.qty_exp)));
    }
    json_object_set_new(decimals, "bids", bids);
    json_object_set_new(decimals, "asks", asks);
}

static err_t jsonl_entry(export_t *x, const recording_reader_t *r, const recording_entry_t *entry)
{
    static attach_message_t m;
    size_t                  len;
    const err_t             err = message_write(&entry->msg, m.bytes, sizeof m.bytes, &len);
    if (err) {
        return err;
    }
    m.msg            = entry->msg;
    json_t *decimals = json_object();
    char   *raw      = describe_raw(&m);
    describe_decimals(decimals, &x->about, &entry->msg);
    put_levels(decimals, &x->about, &entry->msg, entry->topic);
    json_t *symbol = json_incref(json_object_get(decimals, "symbol"));
    json_object_del(decimals, "symbol");
    fprintf(x->to,
            "{\"number\":%" PRIu64 ",\"ts_ns\":%" PRId64 ",\"source\":\"%s\",\"seq\":%" PRIu64
            ",\"type\":\"%s\",\"tenant_id\":%u,\"refresh\":%s,\"loss\":%s,\"symbol\":",
            entry->number, entry->ts_ns, recording_about(r)->source[entry->source], entry->seq,
            msg_type_str(entry->msg.type), entry->tenant, entry->flags & RECORDING_REFRESH ? "true" : "false",
            entry->flags & RECORDING_LOSS ? "true" : "false");
    if (symbol) {
        json_dumpf(symbol, x->to, JSON_ENCODE_ANY);
    } else {
        fputs("null", x->to);
    }
    fputs(",\"decimals\":", x->to);
    json_dumpf(decimals, x->to, JSON_COMPACT);
    fprintf(x->to, ",\"message\":%s}\n", raw ? raw : "null");
    free(raw);
    json_decref(symbol);
    json_decref(decimals);
    x->rows++;
    return ERR_OK;
}

/* ---- the command ----------------------------------------------------------------------------------------------------- */
static err_t export_all(export_t *x, record_file_t *f)
{
    recording_entry_t entry;
    err_t             err = x->from_ns > 0 ? recording_seek_time(f->reader, x->from_ns) : ERR_OK;
    if (!x->jsonl) {
        fputs("number,ts_ns,source,seq,type,instrument_id,symbol,action,side,px,qty,id,venue_seq,ts_event_ns,mark\n",
              x->to);
    }
    while (!err && (err = recording_next(f->reader, &entry)) == ERR_OK && entry.ts_ns < x->to_ns && !ferror(x->to)) {
        if (entry.ts_ns < x->from_ns || (x->type != MSG_NONE && entry.msg.type != x->type) ||
            (x->instrument_id != 0 && entry.topic != x->instrument_id)) {
            continue;
        }
        if (x->jsonl) {
            err = jsonl_entry(x, f->reader, &entry);
        } else {
            csv_entry(x, f->reader, &entry);
        }
    }
    return err == ERR_END ? ERR_OK : err;
}

static int options(export_t *x, int argc, char **argv)
{
    static const struct option list[] = {{"csv", no_argument, NULL, 'c'},
                                         {"jsonl", no_argument, NULL, 'j'},
                                         {"out", required_argument, NULL, 'o'},
                                         {"from", required_argument, NULL, 'f'},
                                         {"to", required_argument, NULL, 't'},
                                         {"instrument", required_argument, NULL, 'i'},
                                         {"type", required_argument, NULL, 'y'},
                                         {"help", no_argument, NULL, 'h'},
                                         {0}};
    bool                       csv    = false;
    opterr                            = 0;
    optind                            = 1;
    for (int c; (c = getopt_long(argc, argv, "ho:", list, NULL)) != -1;) {
        switch (c) {
        case 'c': csv = true; break;
        case 'j': x->jsonl = true; break;
        case 'o': x->out = optarg; break;
        case 'f':
        case 't':
            if (!record_time(optarg, c == 'f' ? &x->from_ns : &x->to_ns)) {
                return command_error("record", EXIT_USAGE,
                                     "--%s \"%s\" is no time (2024-08-08T12:00:00, or nanoseconds)",
                                     c == 'f' ? "from" : "to", optarg);
            }
            break;
        case 'i': x->symbol = optarg; break;
        case 'y':
            if ((x->type = describe_type(optarg)) == MSG_NONE) {
                return command_error("record", EXIT_USAGE, "--type %s: no such message (BOOK_UPDATE, TRADE ...)",
                                     optarg);
            }
            break;
        case 'h': usage(); return -1;
        default: return command_unknown("record", argv);
        }
    }
    if (csv == x->jsonl || optind + 1 != argc) {
        return command_error("record", EXIT_USAGE, "export takes one recording, and one of --csv and --jsonl (--help)");
    }
    if (x->from_ns >= x->to_ns) {
        return command_error("record", EXIT_USAGE, "--from is not before --to");
    }
    x->path = argv[optind];
    return EXIT_OK;
}

static err_t export_open(export_t *x, const record_books_t *books)
{
    static attach_instrument_t instruments[RECORD_BOOKS_MAX + 1]; /* by id */
    for (uint32_t i = 1; i <= RECORD_BOOKS_MAX; i++) {
        instruments[i].def = books->ins[i].def;
        memcpy(instruments[i].symbol, books->ins[i].symbol, sizeof instruments[i].symbol);
    }
    x->about.instruments           = instruments;
    x->about.instrument_max        = RECORD_BOOKS_MAX;
    const attach_instrument_t *ins = x->symbol ? attach_symbol(&x->about, x->symbol) : NULL;
    if (x->symbol && !ins) {
        return err_wrap(ERR_NOT_FOUND, "%s", x->path);
    }
    x->instrument_id = ins ? ins->def.instrument_id : 0;
    const int fd     = x->out ? open(x->out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640) : -1;
    x->to            = x->out ? (fd >= 0 ? fdopen(fd, "w") : NULL) : stdout;
    return x->to ? ERR_OK : err_set(ERR_IO, "%s: %s", x->out, strerror(errno));
}

int record_export(int argc, char **argv)
{
    static export_t       x;
    static record_books_t books;
    record_file_t         f;
    x            = (export_t){.to_ns = INT64_MAX};
    const int rc = options(&x, argc, argv);
    if (rc) {
        return rc < 0 ? EXIT_OK : rc;
    }
    if (record_open(&f, x.path) != ERR_OK) {
        return command_error("record", EXIT_FINDING, "%s", err_msg());
    }
    int   code = EXIT_OK;
    err_t err  = record_instruments(&f, &books);
    if (!err && (err = export_open(&x, &books)) != ERR_OK) {
        code = command_error("record", EXIT_USAGE, "%s", err_msg());
    } else if (err || (err = export_all(&x, &f)) != ERR_OK) {
        code = command_error("record", EXIT_FINDING, "%s", err_msg());
    }
    if (x.to && x.out && (ferror(x.to) || fclose(x.to) != 0)) {
        code = command_error("record", EXIT_FINDING, "%s: %s", x.out, strerror(errno));
    }
    record_books_free(&books);
    record_close(&f);
    return code;
}
