/* hwal record info, hwal record verify; and opening a recording. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/types/decimal.h"
#include "core/types/time.h"
#include "tools/command.h"
#include "tools/describe.h"
#include "tools/record.h"

#define FAULTS_TOLD 20u

err_t record_open(record_file_t *f, const char *path)
{
    *f = (record_file_t){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)}; /* a pipe is refused, not waited for */
    if (f->fd < 0) {
        return err_set(ERR_IO, "%s: %s", path, strerror(errno));
    }
    const size_t align = recording_align(), bytes = recording_reader_footprint();
    void        *mem = aligned_alloc(align, (bytes + align - 1) / align * align);
    const err_t  err = mem ? recording_open(mem, f->fd, path, &f->reader) : err_set(ERR_LIMIT, "out of memory");
    if (err) {
        free(mem);
        close(f->fd);
    }
    return err;
}

void record_close(record_file_t *f)
{
    close(f->fd);
    free(f->reader);
}

err_t record_instruments(record_file_t *f, record_books_t *books)
{
    recording_entry_t entry;
    bool              fresh;
    err_t             err = recording_seek_number(f->reader, UINT64_MAX);
    while (!err && (err = recording_next(f->reader, &entry)) == ERR_OK && entry.msg.type == MSG_INSTRUMENT_DEF &&
           (entry.flags & RECORDING_REFRESH)) {
        err = record_books_define(books, &entry.msg, &fresh);
    }
    err = err == ERR_END || err == ERR_TRUNCATED ? ERR_OK : err;
    return err ? err : recording_seek_number(f->reader, 1);
}

bool record_time(const char *text, int64_t *out)
{
    struct tm tm = {0};
    if (decimal_parse(text, strlen(text), 0, out) == ERR_OK) {
        return *out >= 0;
    }
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t     part = 0;
    if (!rest) {
        return false;
    }
    if (*rest == '.') {
        int64_t unit = NS_PER_S / 10;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10) {
            part += (*rest - '0') * unit;
        }
    }
    rest += *rest == 'Z';
    *out = (int64_t)timegm(&tm) * NS_PER_S + part;
    return *rest == '\0';
}

/* ---- counting -------------------------------------------------------------------------------------------------------- */
typedef struct counts {
    uint64_t type[MSG_TYPE_COUNT];
    uint64_t levels, refreshes, refresh_levels, losses, lost, gaps;
    uint64_t faults;
    bool     cut;
} counts_t;

typedef struct show {
    const char *path;
    bool        json, quiet;
    counts_t    n;
    json_t     *errors;
} show_t;

static void fault(show_t *s)
{
    if (s->n.faults++ < FAULTS_TOLD) {
        json_array_append_new(s->errors, command_text(err_msg()));
    }
}

static void count_entry(counts_t *n, const recording_entry_t *entry)
{
    const uint64_t levels =
        entry->msg.type == MSG_BOOK_UPDATE || entry->msg.type == MSG_MBO_UPDATE ? entry->msg.tail_count : 0;
    if (entry->flags & RECORDING_REFRESH) {
        n->refreshes++;
        n->refresh_levels += levels;
        return;
    }
    n->type[entry->msg.type]++;
    n->levels += levels;
    if (entry->flags & RECORDING_LOSS) {
        const feed_state_t *state = entry->msg.body;
        n->losses++;
        n->lost = n->lost > state->seq_to - state->seq_from + 1 ? n->lost : state->seq_to - state->seq_from + 1;
    }
}

/* Every block is read and every entry unpacked. */
static void count_all(show_t *s, record_file_t *f)
{
    recording_entry_t entry;
    for (;;) {
        const err_t err = recording_next(f->reader, &entry);
        if (err == ERR_OK) {
            count_entry(&s->n, &entry);
        } else if (err == ERR_END) {
            return;
        } else {
            fault(s);
            s->n.cut = err == ERR_TRUNCATED;
            if (s->n.cut || err == ERR_IO || !recording_extent(f->reader)->ended) {
                return; /* nothing says where the next block lies */
            }
        }
    }
}

static json_t *times_json(const recording_extent_t *e)
{
    char first[40], last[40];
    describe_time(e->ts_first, first);
    describe_time(e->ts_last, last);
    return json_pack("{s:I, s:I, s:s, s:s}", "first_ns", (json_int_t)e->ts_first, "last_ns", (json_int_t)e->ts_last,
                     "first", first, "last", last);
}

static json_t *show_json(show_t *s, record_file_t *f, const record_books_t *books, const char *command)
{
    const recording_extent_t *e     = recording_extent(f->reader);
    const recording_about_t  *a     = recording_about(f->reader);
    json_t                   *types = json_object(), *sources = json_array(), *symbols = json_array();
    for (unsigned t = 1; t < MSG_TYPE_COUNT; t++) {
        if (s->n.type[t] != 0) {
            json_object_set_new(types, msg_type_str((msg_type_t)t), json_integer((json_int_t)s->n.type[t]));
        }
    }
    for (uint32_t i = 0; i < a->source_count; i++) {
        json_array_append_new(sources, command_text(a->source[i]));
    }
    for (uint32_t i = 1; i <= RECORD_BOOKS_MAX; i++) {
        const instrument_t *ins = &books->ins[i];
        if (ins->def.instrument_id != 0) {
            json_array_append_new(symbols, json_pack("{s:i, s:o, s:i, s:i}", "instrument_id", (int)i, "symbol",
                                                     command_text(ins->symbol), "px_exp", (int)ins->def.px_exp,
                                                     "qty_exp", (int)ins->def.qty_exp));
        }
    }
    json_t *o =
        json_pack("{s:s, s:o, s:o, s:o, s:i, s:b, s:I, s:I, s:I, s:I}", "command", command, "file",
                  command_text(s->path), "instance", command_text(a->instance), "build", command_text(a->build),
                  "core_version", (int)a->core_version, "ended", e->ended, "bytes", (json_int_t)e->bytes, "blocks",
                  (json_int_t)e->blocks, "entries", (json_int_t)e->entries, "tail_bytes", (json_int_t)e->tail_bytes);
    json_object_set_new(o, "times", times_json(e));
    json_object_set_new(o, "sources", sources);
    json_object_set_new(o, "instruments", symbols);
    json_object_set_new(o, "messages", types);
    json_object_set_new(o, "levels", json_integer((json_int_t)s->n.levels));
    json_object_set_new(o, "refreshes", json_integer((json_int_t)s->n.refreshes));
    json_object_set_new(o, "losses", json_integer((json_int_t)s->n.losses));
    json_object_set(o, "errors", s->errors);
    return o;
}

static void show_text(show_t *s, record_file_t *f, const record_books_t *books)
{
    const recording_extent_t *e = recording_extent(f->reader);
    const recording_about_t  *a = recording_about(f->reader);
    char                      first[40], last[40];
    describe_time(e->ts_first, first);
    describe_time(e->ts_last, last);
    printf("%s: %s%s, %.2f MB, %" PRIu64 " blocks, %" PRIu64 " entries, %s\n", s->path,
           a->instance[0] ? "instance " : "made of captures", a->instance, (double)e->bytes / 1e6, e->blocks,
           e->entries, e->ended ? "whole" : "without its end");
    printf("  times      %s to %s (%.1f s)\n  build      %s, core version %u\n  sources   ", first, last,
           (double)(e->ts_last - e->ts_first) / 1e9, a->build, a->core_version);
    for (uint32_t i = 0; i < a->source_count; i++) {
        printf(" %s", a->source[i]);
    }
    printf("\n  instruments");
    for (uint32_t i = 1; i <= RECORD_BOOKS_MAX; i++) {
        if (books->ins[i].def.instrument_id != 0) {
            printf(" %u:%s", i, books->ins[i].symbol);
        }
    }
    printf("\n");
    for (unsigned t = 1; t < MSG_TYPE_COUNT; t++) {
        if (s->n.type[t] != 0) {
            printf("  %-20s %12" PRIu64 "\n", msg_type_str((msg_type_t)t), s->n.type[t]);
        }
    }
    printf("  %-20s %12" PRIu64 "\n  %-20s %12" PRIu64 "   (entries of syncs)\n  %-20s %12" PRIu64 "\n", "levels",
           s->n.levels, "refreshes", s->n.refreshes, "losses", s->n.losses);
}

static int usage(const char *command)
{
    printf("usage: hwal record %s FILE [--json]\n\n%s\n\n"
           "Exit code: 0 whole; 1 damage, or no end (each is named, with the place); 2 usage.\n\n"
           "example:\n  hwal record %s market.hwr --json\n",
           command,
           strcmp(command, "info") == 0 ? "What is in a recording: times, instruments, messages by type, losses."
                                        : "Read a recording whole: every block's checks, every entry.",
           command);
    return EXIT_OK;
}

static int show(int argc, char **argv, const char *name)
{
    static const struct option list[] = {{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    show_t                     s      = {0};
    record_file_t              f;
    static record_books_t      books;
    opterr = 0;
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "h", list, NULL)) != -1;) {
        switch (c) {
        case 'j': s.json = true; break;
        case 'h': return usage(argv[0]);
        default: return command_unknown("record", argv);
        }
    }
    if (optind + 1 != argc) {
        return command_error("record", EXIT_USAGE, "%s takes one recording (--help)", argv[0]);
    }
    s.path = argv[optind];
    if (record_open(&f, s.path) != ERR_OK) {
        return command_error("record", EXIT_FINDING, "%s", err_msg());
    }
    s.errors = json_array();
    if (record_instruments(&f, &books) != ERR_OK) { /* the last sync is damaged; its block is told below */
        recording_seek_number(f.reader, 1);
    }
    count_all(&s, &f);
    if (s.json) {
        json_t *o = show_json(&s, &f, &books, name);
        json_dumpf(o, stdout, JSON_INDENT(2));
        fputc('\n', stdout);
        json_decref(o);
    } else {
        show_text(&s, &f, &books);
    }
    size_t  i;
    json_t *text;
    json_array_foreach(s.errors, i, text)
    {
        command_error("record", EXIT_FINDING, "%s", json_string_value(text));
    }
    json_decref(s.errors);
    record_books_free(&books);
    record_close(&f);
    return s.n.faults == 0 ? EXIT_OK : EXIT_FINDING;
}

int record_info(int argc, char **argv)
{
    return show(argc, argv, "record-info");
}

int record_verify(int argc, char **argv)
{
    return show(argc, argv, "record-verify");
}
