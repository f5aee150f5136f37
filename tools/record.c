/* hwal record: the market data of a living instance, and what its engine decided, into a recording. Read-only, as every
 * observer: no process of the instance knows of it. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ipc/role.h"
#include "ipc/version.h"
#include "tools/attach_args.h"
#include "tools/command.h"
#include "tools/record.h"
#include "tools/recorder.h"

#define SECONDS_MAX 31536000u
#define TURN_MESSAGES 4096u    /* of one ring, before the next one's turn */
#define NAP_NS (NS_PER_MS)     /* a ring holds seconds; sleeping is cheaper than turning */
#define LOOK_NS (NS_PER_S / 4) /* at the directory: new lives of roles */
#define FLUSH_NS NS_PER_S      /* what a kill takes at most */
#define WANTED_MAX 64u

typedef struct source {
    ring_id_t     ring;
    bool          joined;
    ring_reader_t reader;
    uint64_t      id;   /* of the ring: another life has another */
    uint64_t      seen; /* messages taken */
} source_t;

typedef struct record {
    attach_args_t    args;
    char             out[4096];
    uint32_t         seconds; /* 0 = no end */
    uint32_t         max_mb;  /* 0 = none */
    bool             forever, events, md, quiet;
    const char      *symbols[WANTED_MAX];
    uint32_t         symbol_count;
    bool             wanted[RECORD_BOOKS_MAX + 1]; /* instruments, by id; [0]: all */
    source_t         sources[RECORDING_SOURCES_MAX];
    uint32_t         source_count;
    attach_t         a;
    recorder_t       recorder;
    attach_message_t m;
    uint64_t         taken;
} record_t;

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    (void)sig;
    interrupted = 1;
}

static int usage(FILE *to)
{
    fputs("usage: hwal record [--out FILE] [--seconds N | --forever] [OPTIONS]\n"
          "       hwal record import CAPTURE... --out FILE      (captures become a recording)\n"
          "       hwal record info|verify FILE [--json]\n"
          "       hwal record export FILE --csv|--jsonl [OPTIONS]\n\n"
          "Record what goes over the rings of a living instance, read-only, until it ends, or is interrupted (the file "
          "is\n"
          "then finished). What a ring lost before it could be taken is told, and stands in the file.\n"
          "`hwal replay FILE` replays it; a book is known from the first snapshot in the file on, so begin with the\n"
          "instance. The parts have a --help of their own.\n" ATTACH_HELP
          "  --out FILE         default INSTANCE-YYYYMMDDTHHMMSS.hwr here; an existing file is refused\n"
          "  --seconds N        so long; --forever: also over a stop and a new start of the instance\n"
          "  --max-mb N         end when the file has so many megabytes\n"
          "  --md               market data of all adapters (the default)\n"
          "  --events           what the engine decided and booked; with --md both\n"
          "  --instrument S     only this one (symbol or id); may be repeated\n"
          "  --quiet            no progress on the terminal\n\n"
          "Exit code: 0 recorded whole; 1 messages were lost, or the file could not be written; 2 usage; 3 not "
          "running.\n\n"
          "examples:\n"
          "  hwal record --seconds 60 --out minute.hwr\n"
          "  hwal record --md --events --instrument BTC-USDT --forever\n"
          "  hwal record export minute.hwr --csv --type TRADE\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

/* ---- definitions ------------------------------------------------------------------------------------------------------ */
static err_t define_all(record_t *r)
{
    static attach_message_t def;
    records_reader_t        records;
    err_t                   err = ERR_OK;
    if (!attach_records(&r->a, RECORD_ID_INSTRUMENTS, &records)) {
        return ERR_OK; /* no engine yet: the messages that need one come later */
    }
    for (uint32_t i = 0; !err && i < RECORD_BOOKS_MAX; i++) {
        if (attach_record(&r->a, &records, i, &def) == ERR_OK && def.msg.type == MSG_INSTRUMENT_DEF) {
            err = recorder_define(&r->recorder, &def.msg);
        }
    }
    return err;
}

/* ---- taking ----------------------------------------------------------------------------------------------------------- */
static void join(record_t *r)
{
    for (uint32_t i = 0; i < r->source_count; i++) {
        source_t *s = &r->sources[i];
        s->joined   = attach_ring(&r->a, s->ring, RING_OLDEST, &s->reader) == ERR_OK;
        if (s->joined && s->id == s->reader.ring->head.id) {
            ring_reader_seek(&s->reader, s->seen + 1); /* the same ring, mapped again */
        } else if (s->joined) {
            s->id                 = s->reader.ring->head.id;
            s->seen               = 0;
            const uint64_t oldest = ring_oldest(&s->reader);
            if (oldest > 1) { /* full: the oldest are written over while we begin, and what was before us is no loss */
                ring_reader_seek(&s->reader, oldest + s->reader.mask / 4);
            }
        }
    }
}

static void told_lost(const record_t *r, const source_t *s, uint64_t from, uint64_t to)
{
    if (!r->quiet) {
        fprintf(stderr, "%slost %" PRIu64 " of %s: %" PRIu64 " to %" PRIu64 "\n",
                isatty(STDERR_FILENO) ? "\r\033[K" : "", to - from + 1, topology_ring(s->ring)->name, from, to);
    }
}

static err_t take(record_t *r, uint32_t index)
{
    const uint32_t topic = r->m.meta.topic;
    if (!r->wanted[0] && (topic == 0 || topic > RECORD_BOOKS_MAX || !r->wanted[topic])) {
        return ERR_OK;
    }
    if (topic != 0 && topic <= RECORD_BOOKS_MAX && r->recorder.books.ins[topic].def.instrument_id == 0) {
        const err_t err = define_all(r);
        if (err) {
            return err;
        }
    }
    const int64_t           stated = recording_time(&r->m.msg);
    const recording_entry_t entry  = {.msg    = r->m.msg,
                                      .seq    = r->m.seq,
                                      .ts_ns  = stated != 0 ? stated : r->recorder.ts_ns,
                                      .topic  = topic,
                                      .tenant = r->m.meta.tenant,
                                      .source = (uint8_t)index};
    r->taken++;
    return recorder_write(&r->recorder, &entry);
}

/* What a ring has now, as far as its turn goes. */
static err_t turn(record_t *r, uint32_t index, bool *any)
{
    source_t *s   = &r->sources[index];
    err_t     err = ERR_OK;
    for (uint32_t n = 0; !err && s->joined && n < TURN_MESSAGES; n++) {
        const uint64_t before = s->reader.next;
        const err_t    got    = attach_next(&r->a, &s->reader, &r->m);
        if (got == ERR_EMPTY) {
            break;
        }
        *any = true;
        if (got == ERR_OK) {
            err = take(r, index);
        } else { /* lapped, or a slot that nobody can read */
            const uint64_t from = got == ERR_GAP ? s->reader.lost_from : before;
            const uint64_t to   = got == ERR_GAP ? s->reader.lost_to : s->reader.next - 1;
            told_lost(r, s, from, to);
            err = recorder_lost(&r->recorder, (uint8_t)index, from, to);
        }
        s->seen = s->reader.next - 1;
    }
    return err;
}

static void progress(const record_t *r, int64_t since_ns)
{
    fprintf(stderr, "\r%s: %.0f s  %" PRIu64 " messages  %.2f MB  lost %" PRIu64 "  \033[K", r->out,
            (double)since_ns / 1e9, r->taken, (double)recording_bytes(r->recorder.writer) / 1e6, r->recorder.lost);
}

static bool ended(const record_t *r, int64_t since_ns)
{
    return interrupted || (r->seconds != 0 && since_ns >= (int64_t)r->seconds * NS_PER_S) ||
           (r->max_mb != 0 && recording_bytes(r->recorder.writer) >= (uint64_t)r->max_mb * 1000000u);
}

static err_t loop(record_t *r)
{
    const struct timespec nap   = {0, NAP_NS};
    const int64_t         began = role_mono_ns();
    const bool            live  = !r->quiet && isatty(STDERR_FILENO);
    int64_t               look = began + LOOK_NS, flushed = began;
    err_t                 err = ERR_OK;
    while (!err && !ended(r, role_mono_ns() - began)) {
        bool any = false;
        for (uint32_t i = 0; !err && i < r->source_count; i++) {
            err = turn(r, i, &any);
        }
        const int64_t now = role_mono_ns();
        if (!err && now > look) {
            look = now + LOOK_NS;
            if (attach_again(&r->a)) {
                join(r);
                err = define_all(r);
            } else if (!r->forever && attach_stale(&r->a) && !any) {
                break; /* it is over, and everything was taken */
            }
            if (live) {
                progress(r, now - began);
            }
        }
        if (!err && now - flushed > FLUSH_NS) {
            flushed = now;
            err     = recorder_flush(&r->recorder);
        }
        if (!any) {
            nanosleep(&nap, NULL);
        }
    }
    if (live) {
        fputs("\r\033[K", stderr);
    }
    return err;
}

/* ---- the command ------------------------------------------------------------------------------------------------------ */
static int options(record_t *r, int argc, char **argv)
{
    static const struct option list[] = {ATTACH_OPTIONS,
                                         {"out", required_argument, NULL, 'o'},
                                         {"seconds", required_argument, NULL, 's'},
                                         {"forever", no_argument, NULL, 'f'},
                                         {"max-mb", required_argument, NULL, 'x'},
                                         {"md", no_argument, NULL, 'm'},
                                         {"events", no_argument, NULL, 'e'},
                                         {"instrument", required_argument, NULL, 'i'},
                                         {"quiet", no_argument, NULL, 'q'},
                                         {0}};
    attach_args(&r->args);
    for (int c; (c = getopt_long(argc, argv, "ho:", list, NULL)) != -1;) {
        switch (c) {
        case 'h': return usage(stdout);
        case 'o':
            if (snprintf(r->out, sizeof r->out, "%s", optarg) >= (int)sizeof r->out) {
                return command_error("record", EXIT_USAGE, "--out: a name of more than %zu bytes", sizeof r->out - 1);
            }
            break;
        case 's':
            if (!attach_number(optarg, 1, SECONDS_MAX, &r->seconds)) {
                return command_error("record", EXIT_USAGE, "--seconds %s: a number from 1 to %u", optarg, SECONDS_MAX);
            }
            break;
        case 'x':
            if (!attach_number(optarg, 1, 1000000, &r->max_mb)) {
                return command_error("record", EXIT_USAGE, "--max-mb %s: a number from 1 to 1000000", optarg);
            }
            break;
        case 'f': r->forever = true; break;
        case 'm': r->md = true; break;
        case 'e': r->events = true; break;
        case 'q': r->quiet = true; break;
        case 'i':
            if (r->symbol_count == WANTED_MAX) {
                return command_error("record", EXIT_USAGE, "--instrument: more than %u", WANTED_MAX);
            }
            r->symbols[r->symbol_count++] = optarg;
            break;
        default:
            if (!attach_option(&r->args, c)) {
                return command_unknown("record", argv);
            }
        }
    }
    if (r->forever && r->seconds) {
        return command_error("record", EXIT_USAGE, "--forever and --seconds say different things");
    }
    return optind < argc ? command_error("record", EXIT_USAGE, "%s: takes no argument (--help)", argv[optind]) : -1;
}

static int instruments_wanted(record_t *r)
{
    r->wanted[0] = r->symbol_count == 0;
    for (uint32_t i = 0; i < r->symbol_count; i++) {
        const attach_instrument_t *ins = attach_symbol(&r->a, r->symbols[i]);
        if (!ins) {
            return command_error("record", EXIT_USAGE, "%s", err_msg());
        }
        r->wanted[ins->def.instrument_id] = true;
    }
    return EXIT_OK;
}

static void sources_choose(record_t *r, recording_about_t *about)
{
    for (unsigned i = 0; i < RING_ID_COUNT && r->source_count < RECORDING_SOURCES_MAX; i++) {
        const ring_row_t *row = topology_ring((ring_id_t)i);
        const bool        md  = strncmp(row->name, "md.", 3) == 0;
        if (row->kind != SEGMENT_BROADCAST || !(md ? r->md || !r->events : r->events && i == RING_ID_EV)) {
            continue;
        }
        snprintf(about->source[r->source_count], RECORDING_SOURCE_TEXT, "%s", row->name);
        r->sources[r->source_count++].ring = (ring_id_t)i;
    }
    about->source_count = r->source_count;
}

/* Instruments with messages in the file and no book at its end. A venue sends a whole book when a feed begins, and then
 * changes only: who begins to record later has nothing that the changes could be applied to. */
static uint32_t books_unknown(const record_t *r)
{
    uint32_t n = 0;
    for (uint32_t i = 1; i <= RECORD_BOOKS_MAX; i++) {
        const feed_health_t health = view_health(record_books_view(&r->recorder.books, i));
        n += r->recorder.seen[i] && health != FEED_LIVE && health != FEED_STALE;
    }
    return n;
}

static void result(const record_t *r, uint32_t unknown, bool json)
{
    if (unknown) {
        command_error("record", EXIT_OK,
                      "note: books not known at the end: %" PRIu32 "; no whole book (snapshot) of them came since the "
                      "recording began or since they broke, and a replay cannot trade there",
                      unknown);
    }
    if (json) {
        json_t *o = json_pack("{s:s, s:o, s:s, s:I, s:I, s:I, s:I, s:I}", "command", "record", "file",
                              command_text(r->out), "instance", r->a.instance, "messages", (json_int_t)r->taken, "lost",
                              (json_int_t)r->recorder.lost, "bytes", (json_int_t)r->recorder.bytes, "syncs",
                              (json_int_t)r->recorder.syncs, "books_unknown", (json_int_t)unknown);
        json_dumpf(o, stdout, JSON_INDENT(2));
        fputc('\n', stdout);
        json_decref(o);
        return;
    }
    printf("%s: %" PRIu64 " messages, %.2f MB (%.1f bytes each), lost %" PRIu64 "\n", r->out, r->taken,
           (double)r->recorder.bytes / 1e6, r->taken ? (double)r->recorder.bytes / (double)r->taken : 0.0,
           r->recorder.lost);
}

static int live(int argc, char **argv)
{
    static record_t r;
    r      = (record_t){0};
    int rc = options(&r, argc, argv);
    if (rc >= 0 || (rc = attach_begin("record", &r.args, &r.a)) != EXIT_OK) {
        return rc;
    }
    if ((rc = instruments_wanted(&r)) != EXIT_OK) {
        attach_close(&r.a);
        return rc;
    }
    recording_about_t about = {.began_ns = role_utc_ns(), .core_version = ENGINE_CORE_VERSION};
    snprintf(about.instance, sizeof about.instance, "%s", r.a.instance);
    snprintf(about.build, sizeof about.build, "%s", version_build_id());
    sources_choose(&r, &about);
    if (r.out[0] == '\0') {
        const time_t now = (time_t)(about.began_ns / NS_PER_S);
        struct tm    tm;
        char         text[32];
        gmtime_r(&now, &tm);
        strftime(text, sizeof text, "%Y%m%dT%H%M%S", &tm);
        snprintf(r.out, sizeof r.out, "%s-%s.hwr", r.a.instance, text);
    }
    const book_cfg_t book   = {0};
    const err_t      opened = recorder_open(&r.recorder, r.out, &about, &book);
    if (opened) {
        attach_close(&r.a);
        return command_error("record", opened == ERR_EXISTS ? EXIT_USAGE : EXIT_FINDING, "%s", err_msg());
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    join(&r);
    err_t err              = define_all(&r);
    err                    = err ? err : loop(&r);
    const uint32_t unknown = r.md || !r.events ? books_unknown(&r) : 0;
    const err_t    closed  = recorder_close(&r.recorder, r.recorder.ts_ns);
    if (err || closed) {
        rc = command_error("record", EXIT_FINDING, "%s", err_msg());
    } else {
        result(&r, unknown, r.args.json);
        rc = r.recorder.lost == 0
                 ? EXIT_OK
                 : command_error("record", EXIT_FINDING, "%" PRIu64 " messages were lost; the file says where",
                                 r.recorder.lost);
    }
    attach_close(&r.a);
    return rc;
}

int command_record(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*main)(int argc, char **argv);
    } parts[] = {
        {"import", record_import}, {"info", record_info}, {"verify", record_verify}, {"export", record_export}};
    for (size_t i = 0; argc > 1 && i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(argv[1], parts[i].name) == 0) {
            return parts[i].main(argc - 1, argv + 1);
        }
    }
    return live(argc, argv);
}
