#include "tools/replay_recording.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "core/types/decimal.h"
#include "tools/capture_def.h"
#include "tools/command.h"
#include "tools/config.h"
#include "tools/offline.h"
#include "tools/oracle.h"
#include "tools/order_tally.h"
#include "tools/record.h"
#include "tools/summary.h"

#define FAULTS_KEPT 20u
#define WHOLE_EVERY 4096u /* complete messages of single orders between two comparisons of whole books */

typedef struct feed { /* of an instrument */
    summary_feed_t summary;
    oracle_t       oracle;
    uint64_t    synced, sync_levels, differ; /* books compared with those of syncs; levels of the one that is coming */
    bool        same;
    mbo_entry_t sync_last; /* of single orders: the one before, and what stands before the next one of its level */
    int64_t     sync_ahead;
    order_tally_t *tally;   /* single orders kept the slow way; NULL: not asked for, or none came */
    bool           tallied; /* it is what the book must be: it saw the last snapshot, and no fault since */
    uint64_t       checked, unequal, whole; /* complete messages compared, that differ; of them whole books */
    bar_series_t   bars;
    bool           spoken_of; /* there was a message about it */
    bool           known;     /* its book has been LIVE: what breaks it is a fault */
    bool           full;      /* it broke because there was no room, even before it was LIVE */
} feed_t;

typedef struct rerun {
    /* options */
    const char *config_file, *path, *bars, *csv;
    char       *strategies[CONFIG_STRATEGIES_MAX];
    uint32_t    strategy_count;
    int64_t     from_ns, to_ns;
    double      speed; /* 0 = as fast as possible */
    bool        check, books_only, json, quiet;
    /* state */
    config_t      *config;
    record_file_t  file;
    bool           opened, running;
    record_books_t books; /* up to from_ns; with books_only all the way */
    uint32_t       count;
    instrument_t   ins[RECORD_BOOKS_MAX];
    offline_t      run;
    feed_t         feeds[RECORD_BOOKS_MAX + 1]; /* by id */
    int64_t        first_ns, last_ns;
    uint64_t       entries, messages, levels, faults;
    json_t        *errors, *notes;
} rerun_t;

static void usage(void)
{
    fputs(
        "usage: hwal replay FILE.hwr [OPTIONS]\n\n"
        "Replay a recording of `hwal record` through order book, strategies, risk and a simulated venue.\n\n"
        "  --strategy SPEC    name or name:key=value,... ; may be repeated; `none` for none\n"
        "  --config FILE      settings (see `hwal config show`)\n"
        "  --from T, --to T   from T on, before T: UTC as 2024-08-08T12:00:00.5, or nanoseconds; books are as they "
        "stood\n"
        "  --speed N          N times the recorded pace; max = as fast as possible (default)\n"
        "  --check            compare the book with the venue's best quotes after every diff; in a recording without\n"
        "                     quotes, with the books that the recorder wrote into it; single orders with a second, "
        "slow\n"
        "                     keeper of them after every message\n"
        "  --bars RULE:SIZE   trades as bars: time:60s, ticks:1000, volume:10, value:1000000; --csv FILE: into it\n"
        "  --books-only       the books alone: no strategy, risk, venue\n"
        "  --json             one JSON object on stdout\n"
        "  --quiet            no progress on the terminal\n\n"
        "Exit code: 0 ok; 1 the data has faults (they are named) ; 2 usage.\n\n"
        "examples:\n"
        "  hwal replay market.hwr --check\n"
        "  hwal replay market.hwr --from 2024-08-08T12:00:00 --strategy market_maker --json | jq .pnl\n",
        stdout);
}

bool replay_recording_asked(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) { /* any argument that is such a file: options of others may stand before it */
        uint8_t   magic[8];
        const int fd = argv[i][0] == '-' ? -1 : open(argv[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 && strlen(argv[i]) > 4 && strcmp(argv[i] + strlen(argv[i]) - 4, ".hwr") == 0) {
            return true; /* by its name: the help, and why it cannot be read, are ours */
        }
        if (fd >= 0) {
            const ssize_t n = pread(fd, magic, sizeof magic, 0); /* fails on a pipe: nothing is taken from it */
            close(fd);
            if (n == (ssize_t)sizeof magic && recording_is(magic, sizeof magic)) {
                return true;
            }
        }
    }
    return false;
}

static int options(rerun_t *r, int argc, char **argv)
{
    static const struct option list[] = {{"strategy", required_argument, NULL, 's'},
                                         {"config", required_argument, NULL, 'c'},
                                         {"from", required_argument, NULL, 'f'},
                                         {"to", required_argument, NULL, 't'},
                                         {"speed", required_argument, NULL, 'p'},
                                         {"check", no_argument, NULL, 'k'},
                                         {"books-only", no_argument, NULL, 'b'},
                                         {"bars", required_argument, NULL, 'r'},
                                         {"csv", required_argument, NULL, 'v'},
                                         {"json", no_argument, NULL, 'j'},
                                         {"quiet", no_argument, NULL, 'q'},
                                         {"help", no_argument, NULL, 'h'},
                                         {NULL, 0, NULL, 0}};
    opterr                            = 0;
    optind                            = 1;
    r->to_ns                          = INT64_MAX;
    for (int c; (c = getopt_long(argc, argv, "h", list, NULL)) != -1;) {
        int64_t thousandths = 0;
        switch (c) {
        case 's':
            if (command_strategy_help(optarg)) {
                return -1;
            }
            if (r->strategy_count == CONFIG_STRATEGIES_MAX) {
                return command_error("replay", EXIT_USAGE, "more than %u strategies", CONFIG_STRATEGIES_MAX);
            }
            r->strategies[r->strategy_count++] = optarg;
            break;
        case 'c': r->config_file = optarg; break;
        case 'f':
        case 't':
            if (!record_time(optarg, c == 'f' ? &r->from_ns : &r->to_ns)) {
                return command_error("replay", EXIT_USAGE,
                                     "--%s \"%s\" is no time (2024-08-08T12:00:00, or nanoseconds)",
                                     c == 'f' ? "from" : "to", optarg);
            }
            break;
        case 'p':
            if (strcmp(optarg, "max") != 0 && (decimal_parse(optarg, strlen(optarg), 3, &thousandths) != ERR_OK ||
                                               thousandths < 1 || thousandths > 1000000000)) {
                return command_error("replay", EXIT_USAGE, "--speed \"%s\" is neither max nor 0.001 to 1000000",
                                     optarg);
            }
            r->speed = (double)thousandths / 1000;
            break;
        case 'k': r->check = true; break;
        case 'b': r->books_only = true; break;
        case 'r': r->bars = optarg; break;
        case 'v': r->csv = optarg; break;
        case 'j': r->json = true; break;
        case 'q': r->quiet = true; break;
        case 'h': usage(); return -1;
        default: return command_unknown("replay", argv);
        }
    }
    if (optind + 1 != argc) {
        return command_error("replay", EXIT_USAGE, "a recording is replayed alone: %d files were given", argc - optind);
    }
    if (r->books_only && (r->strategy_count != 0 || r->bars)) {
        return command_error("replay", EXIT_USAGE, "--books-only has no strategies and no --bars");
    }
    if (r->csv && (!r->bars || (r->json && strcmp(r->csv, "-") == 0))) {
        return command_error("replay", EXIT_USAGE,
                             r->bars ? "--json and --csv - both want stdout" : "--csv goes with --bars");
    }
    if (r->from_ns >= r->to_ns) {
        return command_error("replay", EXIT_USAGE, "--from is not before --to");
    }
    r->path = argv[optind];
    return EXIT_OK;
}

static void finding(rerun_t *r, const char *text)
{
    if (r->faults++ < FAULTS_KEPT) {
        json_array_append_new(r->errors, command_text(text));
    }
}

/* ---- books ------------------------------------------------------------------------------------------------------------- */
static view_t book_of(const rerun_t *r, uint32_t id)
{
    return r->books_only ? record_books_view(&r->books, id) : engine_market(r->run.engine, id);
}

/* Single orders of a sync: each is ours, at its place in the queue of its level, and we have no others. */
static void sync_orders(rerun_t *r, const recording_entry_t *entry)
{
    const mbo_update_t *upd  = entry->msg.body;
    const mbo_entry_t  *e    = entry->msg.tail;
    feed_t             *feed = &r->feeds[upd->instrument_id];
    const view_t        book = book_of(r, upd->instrument_id);
    mbo_order_t         have;
    if (upd->flags & BOOK_FLAG_FIRST) {
        feed->same        = book.kind == VIEW_L3;
        feed->sync_levels = 0;
        feed->sync_last   = (mbo_entry_t){0};
    }
    for (uint32_t i = 0; i < entry->msg.tail_count && feed->same; i++) {
        const bool level = e[i].side == feed->sync_last.side && e[i].px == feed->sync_last.px;
        feed->sync_ahead = level ? feed->sync_ahead + feed->sync_last.qty : 0;
        feed->same = mbo_find(l3_mbo(book.l3), e[i].order_id, &have) && have.px == e[i].px && have.qty == e[i].qty &&
                     have.side == e[i].side && view_ahead(book, e[i].order_id) == feed->sync_ahead;
        feed->sync_last = e[i];
    }
    feed->sync_levels += entry->msg.tail_count;
    if (upd->flags & BOOK_FLAG_LAST) {
        feed->same =
            feed->same && mbo_order_count(l3_mbo(book.l3), SIDE_BUY) + mbo_order_count(l3_mbo(book.l3), SIDE_SELL) ==
                              feed->sync_levels;
        feed->synced++;
        feed->differ += !feed->same;
    }
}

/* A book of a sync, part for part: each level is ours, and we have no others. */
static void sync_compare(rerun_t *r, const recording_entry_t *entry)
{
    const book_update_t *upd    = entry->msg.body;
    const level_t       *levels = entry->msg.tail;
    feed_t              *feed   = &r->feeds[upd->instrument_id];
    const view_t         book   = book_of(r, upd->instrument_id);
    if (upd->flags & BOOK_FLAG_FIRST) {
        feed->same        = true;
        feed->sync_levels = 0;
    }
    for (uint32_t i = 0; i < entry->msg.tail_count; i++) {
        feed->same &= view_qty_at(book, i < upd->bid_count ? SIDE_BUY : SIDE_SELL, levels[i].px) == levels[i].qty;
    }
    feed->sync_levels += entry->msg.tail_count;
    if (upd->flags & BOOK_FLAG_LAST) {
        feed->same &= view_level_count(book, SIDE_BUY) + view_level_count(book, SIDE_SELL) == feed->sync_levels;
        feed->synced++;
        feed->differ += !feed->same;
    }
}

static void tally_differs(rerun_t *r, uint32_t id, uint64_t number, const char *text)
{
    char said[ORDER_TALLY_TEXT + 128];
    r->feeds[id].unequal++;
    snprintf(said, sizeof said, "%s: entry %" PRIu64 ": %s: %s", r->path, number, r->ins[id - 1].symbol, text);
    finding(r, said);
}

/* The same message into the slow keeper of orders; then the levels that its last entry touched, the best ones and the counts
 * are compared, and now and then everything, queue by queue. */
static err_t tally_message(rerun_t *r, const msg_t *msg, uint64_t number)
{
    const mbo_update_t *upd  = msg->body;
    const mbo_entry_t  *e    = msg->tail;
    feed_t             *feed = &r->feeds[upd->instrument_id];
    const view_t        book = book_of(r, upd->instrument_id);
    char                text[ORDER_TALLY_TEXT];
    const bool          begins = (upd->flags & BOOK_FLAG_SNAPSHOT) && (upd->flags & BOOK_FLAG_FIRST);
    if (!feed->tally && !(feed->tally = order_tally_new())) {
        return err_set(ERR_LIMIT, "out of memory for the second keeper of orders");
    }
    if (begins) {
        order_tally_clear(feed->tally);
    }
    feed->tallied = (feed->tallied || begins) && book.kind == VIEW_L3 && view_health(book) != FEED_BROKEN;
    for (uint32_t i = 0; feed->tallied && i < msg->tail_count; i++) {
        if (order_tally_entry(feed->tally, &e[i]) != ERR_OK) {
            tally_differs(r, upd->instrument_id, number, err_msg());
            feed->tallied = false; /* until the next snapshot */
        }
    }
    if (!feed->tallied || !(upd->flags & BOOK_FLAG_LAST)) {
        return ERR_OK;
    }
    const bool whole = (upd->flags & BOOK_FLAG_SNAPSHOT) || feed->checked % WHOLE_EVERY == 0;
    feed->checked++;
    feed->whole += whole;
    if (!(whole ? order_tally_equal(feed->tally, l3_mbo(book.l3), text)
                : order_tally_agrees(feed->tally, l3_mbo(book.l3), text))) {
        tally_differs(r, upd->instrument_id, number, text);
    }
    return ERR_OK;
}

static err_t quote_collect(rerun_t *r, const msg_t *msg)
{
    oracle_quote_t q;
    if (msg->type == MSG_TOP) {
        const top_t *top = msg->body;
        q                = (oracle_quote_t){top->venue_seq, top->bid_px, top->bid_qty, top->ask_px, top->ask_qty};
        return oracle_quote(&r->feeds[top->instrument_id].oracle, &q);
    }
    const book_update_t *upd = msg->body;
    if (msg->type != MSG_BOOK_UPDATE || !(upd->flags & BOOK_FLAG_LAST) || (upd->flags & BOOK_FLAG_SNAPSHOT) ||
        !view_best(book_of(r, upd->instrument_id), &q.bid_px, &q.bid_qty, &q.ask_px, &q.ask_qty)) {
        return ERR_OK;
    }
    q.id = upd->venue_seq;
    return oracle_book(&r->feeds[upd->instrument_id].oracle, &q);
}

/* ---- the way of an entry ------------------------------------------------------------------------------------------------ */
static void book_message(feed_stats_t *s, uint32_t flags, uint64_t venue_seq)
{
    if (flags & BOOK_FLAG_LAST) {
        const bool snapshot = flags & BOOK_FLAG_SNAPSHOT;
        s->snapshots += snapshot;
        s->diffs += !snapshot;
        s->diffs_applied += !snapshot;
        s->last_update_id = venue_seq;
    }
}

static void count(rerun_t *r, const msg_t *msg, uint32_t id)
{
    feed_stats_t *s        = &r->feeds[id].summary.stats;
    r->feeds[id].spoken_of = true;
    r->messages++;
    if (msg->type == MSG_BOOK_UPDATE) {
        const book_update_t *upd = msg->body;
        r->levels += msg->tail_count;
        book_message(s, upd->flags, upd->venue_seq);
        s->rpt_seq = upd->rpt_seq;
    } else if (msg->type == MSG_MBO_UPDATE) {
        const mbo_update_t *upd = msg->body;
        book_message(s, upd->flags, upd->venue_seq);
        r->levels += msg->tail_count;
        s->rpt_seq = upd->rpt_seq;
    } else if (msg->type == MSG_TRADE) {
        s->trades++;
        s->last_trade_id = ((const trade_t *)msg->body)->trade_id;
    } else if (msg->type == MSG_TOP) {
        s->tops++;
    } else if (msg->type == MSG_FEED_STATE) {
        s->gaps += ((const feed_state_t *)msg->body)->reason == FEED_REASON_GAP;
    }
}

/* Is this about an instrument of the file, and of a kind that an engine takes from an adapter? id 0: a FEED_STATE of all. */
static bool market(const rerun_t *r, const recording_entry_t *entry, uint32_t *id)
{
    const msg_type_t t = entry->msg.type;
    if (t != MSG_BOOK_UPDATE && t != MSG_MBO_UPDATE && t != MSG_TRADE && t != MSG_TOP && t != MSG_FEED_STATE) {
        return false;
    }
    memcpy(id, entry->msg.body, sizeof *id); /* instrument_id stands first in all of them */
    return *id <= r->count && (*id != 0 || t == MSG_FEED_STATE);
}

static err_t give(rerun_t *r, const msg_t *msg, int64_t ts_ns)
{
    if (r->books_only) {
        return record_books_apply(&r->books, msg, ts_ns);
    }
    return offline_market(&r->run, msg);
}

static void pace(const rerun_t *r, int64_t began_ns, int64_t ts_ns)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const int64_t wait =
        began_ns + (int64_t)((double)(ts_ns - r->first_ns) / r->speed) - ((int64_t)t.tv_sec * NS_PER_S + t.tv_nsec);
    if (wait > 0) {
        nanosleep(&(struct timespec){.tv_sec = wait / NS_PER_S, .tv_nsec = wait % NS_PER_S}, NULL);
    }
}

/* A FEED_STATE of all instruments is one for each: an engine knows none of 0. */
static err_t give_all(rerun_t *r, const msg_t *msg, int64_t ts_ns)
{
    err_t err = ERR_OK;
    for (uint32_t i = 1; !err && i <= r->count; i++) {
        feed_state_t state  = *(const feed_state_t *)msg->body;
        state.instrument_id = i;
        err                 = give(r, &(msg_t){.type = MSG_FEED_STATE, .body = &state}, ts_ns);
    }
    return err;
}

static void fault_of(rerun_t *r, const recording_entry_t *entry, uint32_t id)
{
    const view_t book = book_of(r, id);
    feed_t      *feed = &r->feeds[id];
    char         text[512];
    if (view_health(book) == FEED_LIVE) {
        feed->known = true;
    } else if ((feed->known || view_reason(book) == FEED_REASON_LIMIT) && view_health(book) == FEED_BROKEN) {
        if (!feed->known && feed->full) {
            return; /* told */
        }
        feed->known = false;
        feed->full  = view_reason(book) == FEED_REASON_LIMIT;
        feed->summary.book_faults += entry->msg.type == MSG_BOOK_UPDATE || entry->msg.type == MSG_MBO_UPDATE;
        snprintf(text, sizeof text, "%s: entry %" PRIu64 ": %s: the book is BROKEN (%s)%s", r->path, entry->number,
                 r->ins[id - 1].symbol, feed_reason_str(view_reason(book)),
                 entry->flags & RECORDING_LOSS ? ": messages were lost when it was recorded"
                 : book.kind == VIEW_L3 && feed->full
                     ? ": more orders or levels than engine.mbo_orders, engine.mbo_levels have room for"
                     : "");
        finding(r, text);
    }
}

/* A trade on the tape: what may be odd about it is counted, and it goes into its bar. */
static err_t trade_collect(rerun_t *r, const trade_t *trade)
{
    const quality_limits_t limits = QUALITY_LIMITS_USUAL;
    feed_t                *feed   = &r->feeds[trade->instrument_id];
    const int64_t          ts_ns  = trade->ts_event_ns ? trade->ts_event_ns : trade->ts_recv_ns;
    (void)quality_trade(&feed->summary.tape, &limits, ts_ns, trade->px, trade->qty);
    return r->bars ? replay_bars_trade(&feed->bars, ts_ns, trade->px, trade->qty) : ERR_OK;
}

static err_t entry_apply(rerun_t *r, const recording_entry_t *entry, uint32_t id)
{
    const uint64_t began = r->books_only ? 0 : __rdtsc();
    err_t          err   = r->books_only ? ERR_OK : offline_begin(&r->run, entry->ts_ns);
    r->run.acted         = false;
    count(r, &entry->msg, id);
    err = err ? err : id == 0 ? give_all(r, &entry->msg, entry->ts_ns) : give(r, &entry->msg, entry->ts_ns);
    if (!r->books_only) {
        const uint64_t ticks = __rdtsc() - began;
        histogram_record(r->run.event, ticks, entry->number);
        if (r->run.acted) {
            histogram_record(r->run.decide, ticks, entry->number);
        }
    }
    const msg_type_t type = entry->msg.type;
    if (!err && (type == MSG_BOOK_UPDATE || type == MSG_MBO_UPDATE || type == MSG_FEED_STATE)) {
        for (uint32_t i = id == 0 ? 1 : id; i <= (id == 0 ? r->count : id); i++) {
            fault_of(r, entry, i);
        }
    }
    if (!err && type == MSG_TRADE) {
        err = trade_collect(r, entry->msg.body);
    }
    if (err || !r->check) {
        return err;
    }
    return type == MSG_MBO_UPDATE ? tally_message(r, &entry->msg, entry->number) : quote_collect(r, &entry->msg);
}

static err_t emit_engine(void *ctx, const msg_t *msg)
{
    return offline_market(&((rerun_t *)ctx)->run, msg);
}

static err_t emit_tally(void *ctx, const msg_t *msg)
{
    return msg->type == MSG_MBO_UPDATE ? tally_message(ctx, msg, 0) : ERR_OK;
}

/* The books as they stand at from_ns, to the engine. With books_only they are where they must be. */
static err_t begin_at(rerun_t *r, int64_t ts_ns)
{
    err_t err   = ERR_OK;
    r->first_ns = r->last_ns = ts_ns;
    for (uint32_t i = 1; !err && i <= r->count; i++) {
        const view_t book = record_books_view(&r->books, i);
        r->feeds[i].known = view_health(book) == FEED_LIVE || view_health(book) == FEED_STALE;
        r->feeds[i].summary.stats.snapshots += r->feeds[i].known;
        if (!r->books_only && r->feeds[i].known) {
            err = offline_begin(&r->run, ts_ns);
            err = err ? err : record_books_snapshot(&r->books, i, ts_ns, emit_engine, r);
        }
        if (r->check && !err) {
            err = record_books_snapshot(&r->books, i, ts_ns, emit_tally, r);
        }
    }
    return err;
}

static err_t loop(rerun_t *r)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const int64_t     began = (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
    const bool        live  = !r->quiet && isatty(STDERR_FILENO);
    bool              begun = false;
    recording_entry_t entry;
    uint32_t          id  = 0;
    err_t             err = r->from_ns > 0 ? recording_seek_time(r->file.reader, r->from_ns) : ERR_OK;
    while (!err && (err = recording_next(r->file.reader, &entry)) == ERR_OK && entry.ts_ns < r->to_ns) {
        const bool refresh = entry.flags & RECORDING_REFRESH;
        if (entry.msg.type == MSG_TICK && entry.ts_ns >= r->from_ns) { /* time, where no message tells it */
            err   = begun ? ERR_OK : begin_at(r, entry.ts_ns);
            begun = true;
            err   = err || r->books_only ? err : offline_begin(&r->run, entry.ts_ns);
        }
        if (!market(r, &entry, &id)) {
            continue;
        }
        if (!begun && (refresh || entry.ts_ns < r->from_ns)) { /* on the way to the beginning */
            err = record_books_apply(&r->books, &entry.msg, entry.ts_ns);
            continue;
        }
        if (refresh) { /* nothing that happened */
            if (r->check && entry.msg.type == MSG_BOOK_UPDATE && id != 0) {
                sync_compare(r, &entry);
            } else if (r->check && entry.msg.type == MSG_MBO_UPDATE && id != 0) {
                sync_orders(r, &entry);
            }
            continue;
        }
        if (!begun) {
            err   = begin_at(r, entry.ts_ns);
            begun = true;
        }
        if (r->speed > 0) {
            pace(r, began, entry.ts_ns);
        }
        r->last_ns = entry.ts_ns;
        err        = err ? err : entry_apply(r, &entry, id);
        if (live && ++r->entries % 65536 == 0) {
            fprintf(stderr, "\r%9" PRIu64 " messages  orders %" PRIu64 "  fills %" PRIu64 " ", r->messages,
                    r->run.counts.orders, r->run.counts.fills);
        }
    }
    if (live) {
        fprintf(stderr, "\r\033[K");
    }
    if (err == ERR_TRUNCATED || err == ERR_PARSE || err == ERR_UNSUPPORTED) { /* what came before it stands */
        finding(r, err_msg());
        const msg_t lost = {
            .type = MSG_FEED_STATE,
            .body = &(feed_state_t){.health = FEED_BROKEN, .reason = FEED_REASON_LOST, .ts_recv_ns = r->last_ns}};
        return give_all(r, &lost, r->last_ns);
    }
    return err == ERR_END ? ERR_OK : err;
}

/* ---- the end ------------------------------------------------------------------------------------------------------------ */
/* Single orders: the slow keeper's opinion to the end, and that of the recorder's syncs. */
static void judge_orders(rerun_t *r, feed_t *feed, view_t book)
{
    char text[ORDER_TALLY_TEXT + 256], what[ORDER_TALLY_TEXT] = "";
    if (feed->tallied && book.kind == VIEW_L3 && view_health(book) != FEED_BROKEN) {
        feed->whole++;
        feed->unequal += !order_tally_equal(feed->tally, l3_mbo(book.l3), what);
    }
    feed->summary.oracle = (oracle_result_t){.checked = feed->checked, .mismatched = feed->unequal + feed->differ};
    if (feed->summary.oracle.mismatched != 0) {
        snprintf(text, sizeof text,
                 "%s: the book differs from a second, slow one after %" PRIu64 " of %" PRIu64
                 " messages, from the recorder's at %" PRIu64 " of %" PRIu64 " syncs %s",
                 feed->summary.ins->symbol, feed->unequal, feed->checked, feed->differ, feed->synced, what);
        finding(r, text);
    }
    snprintf(text, sizeof text,
             "%s: all orders and queues at %" PRIu64 " comparisons with a second book, at %" PRIu64
             " syncs of the recorder: %" PRIu64 " differ",
             feed->summary.ins->symbol, feed->whole, feed->synced, feed->differ);
    json_array_append_new(r->notes, command_text(text));
}

static void judge(rerun_t *r, uint32_t id)
{
    feed_t      *feed = &r->feeds[id];
    const view_t book = book_of(r, id);
    char         text[512];
    if (!feed->spoken_of) {
        return; /* defined, and not recorded */
    }
    if (feed->summary.stats.snapshots == 0) {
        snprintf(text, sizeof text, "%s: no snapshot in the recording, so there was never a book to trade on",
                 feed->summary.ins->symbol);
        finding(r, text);
    } else if (view_health(book) == FEED_BROKEN || view_health(book) == FEED_RECOVERING) {
        snprintf(text, sizeof text, "%s: the book ends %s (%s)", feed->summary.ins->symbol,
                 feed_health_str(view_health(book)), feed_reason_str(view_reason(book)));
        finding(r, text);
    }
    if (!r->check) {
        return;
    }
    if (feed->tally) {
        judge_orders(r, feed, book);
        return;
    }
    oracle_result_t *o = &feed->summary.oracle;
    *o                 = oracle_compare(&feed->oracle);
    /* spot diffs come every 100 ms and the quote stream may already have moved on: one in a thousand is its nature */
    const uint64_t allowed = feed->summary.ins->def.kind == INSTRUMENT_SPOT ? o->checked / 1000 : 0;
    if (o->mismatched > allowed || feed->differ != 0) {
        snprintf(text, sizeof text,
                 "%s: the book differs from the venue's best quotes after %" PRIu64 " of %" PRIu64
                 " diffs, from the recorder's at %" PRIu64 " of %" PRIu64 " syncs",
                 feed->summary.ins->symbol, o->mismatched, o->checked, feed->differ, feed->synced);
        finding(r, text);
    }
    snprintf(text, sizeof text, "%s: all levels at %" PRIu64 " syncs of the recorder: %" PRIu64 " differ",
             feed->summary.ins->symbol, feed->synced, feed->differ);
    json_array_append_new(r->notes, command_text(text));
    if (o->checked == 0) { /* a recording without quotes: the syncs are the oracle */
        *o = (oracle_result_t){.checked = feed->synced, .mismatched = feed->differ};
    }
}

/* An engine keeps single orders of as many instruments as its configuration says. One that says none gets room for those
 * that the file begins or ends with: those in its first block and its last sync. */
static err_t orders_room(rerun_t *r)
{
    recording_entry_t entry;
    recording_block_t second;
    bool              by_order[RECORD_BOOKS_MAX + 1] = {false};
    uint32_t          count                          = 0, id;
    const uint64_t    head = recording_block(r->file.reader, 1, &second) ? second.first : UINT64_MAX;
    err_t             err  = r->config->engine.mbo_books != 0 ? ERR_END : recording_seek_number(r->file.reader, 1);
    for (int at_end = 0; !err && at_end < 2; at_end++) {
        err = at_end ? recording_seek_number(r->file.reader, UINT64_MAX) : ERR_OK;
        while (!err && (err = recording_next(r->file.reader, &entry)) == ERR_OK &&
               (at_end ? (entry.flags & RECORDING_REFRESH) != 0 : entry.number < head)) {
            if (entry.msg.type == MSG_MBO_UPDATE && market(r, &entry, &id) && !by_order[id]) {
                by_order[id] = true;
                count++;
            }
        }
        err = err == ERR_END || err == ERR_TRUNCATED || err == ERR_PARSE ? ERR_OK : err; /* told when it is replayed */
    }
    if (count != 0) {
        char text[128];
        r->config->engine.mbo_books = count;
        snprintf(text, sizeof text, "single orders of %u instrument%s: room for them was made (engine.mbo_books is 0)",
                 count, count == 1 ? "" : "s");
        json_array_append_new(r->notes, json_string(text));
    }
    return err && err != ERR_END ? err : recording_seek_number(r->file.reader, 1);
}

static err_t rerun_open(rerun_t *r)
{
    err_t err = config_load(r->config_file, &r->config);
    if (err) {
        return err;
    }
    r->books.cfg = (book_cfg_t){.window_ticks = (uint32_t)r->config->engine.book_window_ticks,
                                .far_slots    = (uint32_t)r->config->engine.book_far_levels};
    err          = record_open(&r->file, r->path);
    r->opened    = !err;
    err          = err ? err : record_instruments(&r->file, &r->books);
    const bool dbn =
        !err && strcmp(recording_about(r->file.reader)->source[0], "dbn") == 0; /* of no market of a codec */
    for (uint32_t i = 1; !err && i <= RECORD_BOOKS_MAX && r->books.ins[i].def.instrument_id != 0; i++) {
        r->ins[r->count++]  = r->books.ins[i];
        r->feeds[i].summary = (summary_feed_t){.ins    = &r->ins[i - 1],
                                               .market = dbn ? "dbn" : capture_market_name(r->ins[i - 1].def.kind)};
    }
    if (!err && r->count != r->books.count) {
        err = err_set(ERR_UNSUPPORTED, "%s: the ids of its %u instruments are not 1 to %u", r->path, r->books.count,
                      r->books.count);
    }
    if (!err && r->count == 0) {
        err = err_set(ERR_NOT_FOUND, "%s: no instrument is defined in it", r->path);
    }
    err = err || r->books_only ? err : orders_room(r);
    for (uint32_t i = 1; !err && r->bars && i <= r->count; i++) {
        err                      = replay_bars_open(&r->feeds[i].bars, r->bars, &r->ins[i - 1]);
        err                      = err ? err_wrap(ERR_CONFIG, "%s", r->ins[i - 1].symbol) : ERR_OK; /* usage */
        r->feeds[i].summary.bars = &r->feeds[i].bars;
    }
    if (!err && !r->books_only) {
        err = offline_open(&r->run, r->config, r->ins, r->count, r->strategies, r->strategy_count, NULL);
    }
    r->running = !err && !r->books_only;
    if (!err && r->check && r->run.feed_delayed) {
        err = err_set(ERR_CONFIG, "--check compares the engine's book as it is told: it does not go with latency.feed");
    }
    return err;
}

static void books_only_text(const rerun_t *r, double seconds)
{
    const double n = seconds > 0 ? seconds : 1e-9;
    if (r->json) {
        json_t *feeds = json_object();
        for (uint32_t i = 1; i <= r->count; i++) {
            const view_t book = book_of(r, i);
            json_object_set_new(feeds, r->ins[i - 1].symbol,
                                json_pack("{s:s, s:i, s:i, s:I, s:I}", "health", feed_health_str(view_health(book)),
                                          "bid_levels", (int)view_level_count(book, SIDE_BUY), "ask_levels",
                                          (int)view_level_count(book, SIDE_SELL), "oracle_checked",
                                          (json_int_t)r->feeds[i].summary.oracle.checked, "oracle_mismatched",
                                          (json_int_t)r->feeds[i].summary.oracle.mismatched));
        }
        json_t *o = json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:o, s:O, s:O}", "command", "replay", "messages",
                              (json_int_t)r->messages, "levels", (json_int_t)r->levels, "seconds_wall", seconds,
                              "messages_per_s", (double)r->messages / n, "levels_per_s", (double)r->levels / n, "feeds",
                              feeds, "notes", r->notes, "errors", r->errors);
        json_dumpf(o, stdout, JSON_INDENT(2));
        fputc('\n', stdout);
        json_decref(o);
        return;
    }
    printf("replay: %" PRIu64 " messages, %" PRIu64
           " levels in %.3f s (%.2f million messages, %.2f million levels a second)\n",
           r->messages, r->levels, seconds, (double)r->messages / n / 1e6, (double)r->levels / n / 1e6);
    for (uint32_t i = 1; i <= r->count; i++) {
        const view_t book = book_of(r, i);
        printf("  %-16s %-10s levels %u,%u\n", r->ins[i - 1].symbol, feed_health_str(view_health(book)),
               view_level_count(book, SIDE_BUY), view_level_count(book, SIDE_SELL));
    }
}

static void rerun_free(rerun_t *r)
{
    for (uint32_t i = 0; i <= RECORD_BOOKS_MAX; i++) {
        oracle_free(&r->feeds[i].oracle);
        order_tally_free(r->feeds[i].tally);
        replay_bars_free(&r->feeds[i].bars);
    }
    if (r->running) {
        offline_close(&r->run);
    }
    if (r->opened) {
        record_close(&r->file);
    }
    record_books_free(&r->books);
    config_free(r->config);
    json_decref(r->errors);
    json_decref(r->notes);
    free(r);
}

static void rerun_print(rerun_t *r, double seconds, double ns_per_tsc)
{
    summary_feed_t feeds[RECORD_BOOKS_MAX];
    for (uint32_t i = 1; i <= r->count; i++) {
        judge(r, i);
        feeds[i - 1] = r->feeds[i].summary;
    }
    if (r->books_only) {
        books_only_text(r, seconds);
        return;
    }
    summary_t sum = {.command        = "replay",
                     .run            = &r->run,
                     .feeds          = feeds,
                     .feed_count     = r->count,
                     .check          = r->check,
                     .events         = r->messages,
                     .seconds_wall   = seconds,
                     .seconds_market = (double)(r->last_ns - r->first_ns) / 1e9,
                     .ns_per_tsc     = ns_per_tsc,
                     .errors         = r->errors,
                     .notes          = r->notes};
    if (r->json) {
        json_t *o = summary_json(&sum);
        json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
        fputc('\n', stdout);
        json_decref(o);
    } else {
        FILE *to = r->csv && strcmp(r->csv, "-") == 0 ? stderr : stdout; /* stdout is the CSV then */
        summary_text(&sum, to, command_colour(to));
    }
}

/* All series to their end, and into the file that was asked for. */
static err_t bars_end(rerun_t *r)
{
    err_t err = ERR_OK;
    for (uint32_t i = 1; r->bars && i <= r->count && !err; i++) {
        err = replay_bars_end(&r->feeds[i].bars);
    }
    if (err || !r->csv) {
        return err;
    }
    FILE *to = strcmp(r->csv, "-") == 0 ? stdout : fopen(r->csv, "we");
    if (!to) {
        return err_set(ERR_IO, "--csv %s: %s", r->csv, strerror(errno));
    }
    for (uint32_t i = 1; i <= r->count; i++) {
        replay_bars_csv(to, &r->feeds[i].bars, r->feeds[i].summary.market, i == 1);
    }
    const bool bad = ferror(to) || fflush(to) != 0;
    if (to != stdout && fclose(to) != 0) {
        return err_set(ERR_IO, "--csv %s: %s", r->csv, strerror(errno));
    }
    return bad ? err_set(ERR_IO, "--csv %s: cannot be written", r->csv) : ERR_OK;
}

/* The end of the file says how long it went on after its last message: what is due until then comes. */
static err_t end(rerun_t *r)
{
    const recording_extent_t *e   = recording_extent(r->file.reader);
    err_t                     err = bars_end(r);
    if (err) {
        return err;
    }
    if (r->books_only || r->messages == 0) {
        return ERR_OK;
    }
    if (r->to_ns == INT64_MAX && e->end_ns > r->last_ns) {
        err = offline_begin(&r->run, e->end_ns);
    }
    return err ? err : offline_end(&r->run);
}

int replay_recording_command(int argc, char **argv)
{
    rerun_t *r = calloc(1, sizeof *r);
    if (!r) {
        return command_error("replay", EXIT_FINDING, "out of memory");
    }
    int rc = options(r, argc, argv);
    if (rc) {
        free(r);
        return rc < 0 ? EXIT_OK : rc;
    }
    r->errors = json_array();
    r->notes  = json_array();
    struct timespec t0, t1;
    err_t           err = rerun_open(r);
    rc                  = err == ERR_CONFIG || !r->config ? EXIT_USAGE : EXIT_FINDING;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    const uint64_t tsc = __rdtsc();
    err                = err ? err : loop(r);
    err                = err ? err : end(r);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    const double seconds = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
    if (err) {
        if (r->json) {
            json_t *o = json_pack("{s:s, s:[o]}", "command", "replay", "errors", command_text(err_msg()));
            json_dumpf(o, stdout, JSON_INDENT(2));
            fputc('\n', stdout);
            json_decref(o);
        }
        rc = command_error("replay", rc, "%s", err_msg());
    } else {
        size_t  i;
        json_t *text;
        rerun_print(r, seconds, seconds * 1e9 / (double)(__rdtsc() - tsc));
        json_array_foreach(r->errors, i, text)
        {
            command_error("replay", EXIT_FINDING, "%s", json_string_value(text));
        }
        rc = r->faults == 0 ? EXIT_OK : EXIT_FINDING;
    }
    rerun_free(r);
    return rc;
}
