#include "tools/replay_recording.h"

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
#include "tools/record.h"
#include "tools/summary.h"

#define FAULTS_KEPT 20u

typedef struct feed { /* of an instrument */
    summary_feed_t summary;
    oracle_t       oracle;
    uint64_t synced, sync_levels, differ; /* books compared with those of syncs; levels of the one that is coming */
    bool     same;
    bool     spoken_of; /* there was a message about it */
    bool     known;     /* its book has been LIVE: what breaks it is a fault */
} feed_t;

typedef struct rerun {
    /* options */
    const char *config_file, *path;
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
    uint64_t       orders_passed; /* messages of single orders, which are not replayed */
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
        "                     quotes, with the books that the recorder wrote into it\n"
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
        case 'j': r->json = true; break;
        case 'q': r->quiet = true; break;
        case 'h': usage(); return -1;
        default: return command_unknown("replay", argv);
        }
    }
    if (optind + 1 != argc) {
        return command_error("replay", EXIT_USAGE, "a recording is replayed alone: %d files were given", argc - optind);
    }
    if (r->books_only && r->strategy_count != 0) {
        return command_error("replay", EXIT_USAGE, "--books-only has no strategies");
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
static const book_t *book_of(const rerun_t *r, uint32_t id)
{
    return r->books_only ? r->books.book[id] : engine_book(r->run.engine, id);
}

/* A book of a sync, part for part: each level is ours, and we have no others. */
static void sync_compare(rerun_t *r, const recording_entry_t *entry)
{
    const book_update_t *upd    = entry->msg.body;
    const level_t       *levels = entry->msg.tail;
    feed_t              *feed   = &r->feeds[upd->instrument_id];
    const book_t        *book   = book_of(r, upd->instrument_id);
    if (upd->flags & BOOK_FLAG_FIRST) {
        feed->same        = true;
        feed->sync_levels = 0;
    }
    for (uint32_t i = 0; i < entry->msg.tail_count; i++) {
        feed->same &= book_qty_at(book, i < upd->bid_count ? SIDE_BUY : SIDE_SELL, levels[i].px) == levels[i].qty;
    }
    feed->sync_levels += entry->msg.tail_count;
    if (upd->flags & BOOK_FLAG_LAST) {
        feed->same &= book_level_count(book, SIDE_BUY) + book_level_count(book, SIDE_SELL) == feed->sync_levels;
        feed->synced++;
        feed->differ += !feed->same;
    }
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
        !book_best(book_of(r, upd->instrument_id), &q.bid_px, &q.bid_qty, &q.ask_px, &q.ask_qty)) {
        return ERR_OK;
    }
    q.id = upd->venue_seq;
    return oracle_book(&r->feeds[upd->instrument_id].oracle, &q);
}

/* ---- the way of an entry ------------------------------------------------------------------------------------------------ */
static void count(rerun_t *r, const msg_t *msg, uint32_t id)
{
    feed_stats_t *s        = &r->feeds[id].summary.stats;
    r->feeds[id].spoken_of = true;
    r->messages++;
    if (msg->type == MSG_BOOK_UPDATE) {
        const book_update_t *upd = msg->body;
        r->levels += msg->tail_count;
        if (upd->flags & BOOK_FLAG_LAST) {
            const bool snapshot = upd->flags & BOOK_FLAG_SNAPSHOT;
            s->snapshots += snapshot;
            s->diffs += !snapshot;
            s->diffs_applied += !snapshot;
            s->last_update_id = upd->venue_seq;
        }
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
    if (t != MSG_BOOK_UPDATE && t != MSG_TRADE && t != MSG_TOP && t != MSG_FEED_STATE) {
        return false;
    }
    memcpy(id, entry->msg.body, sizeof *id); /* instrument_id stands first in all of them */
    return *id <= r->count && (*id != 0 || t == MSG_FEED_STATE);
}

static err_t give(rerun_t *r, const msg_t *msg, int64_t ts_ns)
{
    if (r->books_only) {
        record_books_apply(&r->books, msg, ts_ns);
        return ERR_OK;
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
    const book_t *book = book_of(r, id);
    feed_t       *feed = &r->feeds[id];
    char          text[512];
    if (book_health(book) == FEED_LIVE) {
        feed->known = true;
    } else if (feed->known && book_health(book) == FEED_BROKEN) {
        feed->known = false;
        feed->summary.book_faults += entry->msg.type == MSG_BOOK_UPDATE;
        snprintf(text, sizeof text, "%s: entry %" PRIu64 ": %s: the book is BROKEN (%s)%s", r->path, entry->number,
                 r->ins[id - 1].symbol, feed_reason_str(book_reason(book)),
                 entry->flags & RECORDING_LOSS ? ": messages were lost when it was recorded" : "");
        finding(r, text);
    }
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
    if (!err && (entry->msg.type == MSG_BOOK_UPDATE || entry->msg.type == MSG_FEED_STATE)) {
        for (uint32_t i = id == 0 ? 1 : id; i <= (id == 0 ? r->count : id); i++) {
            fault_of(r, entry, i);
        }
    }
    return err || !r->check ? err : quote_collect(r, &entry->msg);
}

static err_t emit(void *ctx, const msg_t *msg)
{
    return offline_market(&((rerun_t *)ctx)->run, msg);
}

/* The books as they stand at from_ns, to the engine. With books_only they are where they must be. */
static err_t begin_at(rerun_t *r, int64_t ts_ns)
{
    err_t err   = ERR_OK;
    r->first_ns = r->last_ns = ts_ns;
    for (uint32_t i = 1; !err && i <= r->count; i++) {
        const book_t *book = r->books.book[i];
        r->feeds[i].known  = book_health(book) == FEED_LIVE;
        r->feeds[i].summary.stats.snapshots += r->feeds[i].known;
        if (!r->books_only && r->feeds[i].known) {
            err = offline_begin(&r->run, ts_ns);
            err = err ? err : record_books_snapshot(&r->books, i, ts_ns, emit, r);
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
            r->orders_passed += entry.msg.type == MSG_MBO_UPDATE && !refresh;
            continue;
        }
        if (!begun && (refresh || entry.ts_ns < r->from_ns)) { /* on the way to the beginning */
            record_books_apply(&r->books, &entry.msg, entry.ts_ns);
            continue;
        }
        if (refresh) { /* nothing that happened */
            if (r->check && entry.msg.type == MSG_BOOK_UPDATE && id != 0) {
                sync_compare(r, &entry);
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
static void judge(rerun_t *r, uint32_t id)
{
    feed_t       *feed = &r->feeds[id];
    const book_t *book = book_of(r, id);
    char          text[512];
    if (!feed->spoken_of) {
        return; /* defined, and not recorded */
    }
    if (feed->summary.stats.snapshots == 0) {
        snprintf(text, sizeof text, "%s: no snapshot in the recording, so there was never a book to trade on",
                 feed->summary.ins->symbol);
        finding(r, text);
    } else if (book_health(book) == FEED_BROKEN || book_health(book) == FEED_RECOVERING) {
        snprintf(text, sizeof text, "%s: the book ends %s (%s)", feed->summary.ins->symbol,
                 feed_health_str(book_health(book)), feed_reason_str(book_reason(book)));
        finding(r, text);
    }
    if (!r->check) {
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
    for (uint32_t i = 1; !err && i <= RECORD_BOOKS_MAX && r->books.ins[i].def.instrument_id != 0; i++) {
        r->ins[r->count++] = r->books.ins[i];
        r->feeds[i].summary =
            (summary_feed_t){.ins = &r->ins[i - 1], .market = capture_market_name(r->ins[i - 1].def.kind)};
    }
    if (!err && r->count != r->books.count) {
        err = err_set(ERR_UNSUPPORTED, "%s: the ids of its %u instruments are not 1 to %u", r->path, r->books.count,
                      r->books.count);
    }
    if (!err && r->count == 0) {
        err = err_set(ERR_NOT_FOUND, "%s: no instrument is defined in it", r->path);
    }
    if (!err && !r->books_only) {
        err = offline_open(&r->run, r->config, r->ins, r->count, r->strategies, r->strategy_count, NULL);
    }
    r->running = !err && !r->books_only;
    return err;
}

static void books_only_text(const rerun_t *r, double seconds)
{
    const double n = seconds > 0 ? seconds : 1e-9;
    if (r->json) {
        json_t *feeds = json_object();
        for (uint32_t i = 1; i <= r->count; i++) {
            const book_t *book = book_of(r, i);
            json_object_set_new(feeds, r->ins[i - 1].symbol,
                                json_pack("{s:s, s:i, s:i, s:I, s:I}", "health", feed_health_str(book_health(book)),
                                          "bid_levels", (int)book_level_count(book, SIDE_BUY), "ask_levels",
                                          (int)book_level_count(book, SIDE_SELL), "oracle_checked",
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
        const book_t *book = book_of(r, i);
        printf("  %-16s %-10s levels %u,%u\n", r->ins[i - 1].symbol, feed_health_str(book_health(book)),
               book_level_count(book, SIDE_BUY), book_level_count(book, SIDE_SELL));
    }
}

static void rerun_free(rerun_t *r)
{
    for (uint32_t i = 0; i <= RECORD_BOOKS_MAX; i++) {
        oracle_free(&r->feeds[i].oracle);
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
    if (r->orders_passed != 0) {
        char text[128];
        snprintf(text, sizeof text, "%" PRIu64 " messages of single orders (MBO_UPDATE) were not replayed",
                 r->orders_passed);
        finding(r, text);
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
        summary_text(&sum, stdout, command_colour(stdout));
    }
}

/* The end of the file says how long it went on after its last message: what is due until then comes. */
static err_t end(rerun_t *r)
{
    const recording_extent_t *e   = recording_extent(r->file.reader);
    err_t                     err = ERR_OK;
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
    rc                  = err == ERR_CONFIG || err == ERR_IO ? EXIT_USAGE : EXIT_FINDING;
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
