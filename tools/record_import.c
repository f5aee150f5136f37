/* hwal record import: captures become a recording, by the codec that `hwal replay` and the capture adapter use. What a
 * replay of the captures would give to its engine stands in the file, message for message, at the same times: bad lines
 * and faults of the book break it at the same place. Databento files: record_import_dbn.c. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/capture/capture.h"
#include "adapters/venue.h"
#include "core/engine/engine.h"
#include "ipc/version.h"
#include "tools/capture_def.h"
#include "tools/command.h"
#include "tools/record.h"
#include "tools/recorder.h"
#include "tools/replay_dbn.h"

#define FAULTS_TOLD 20u

typedef struct import {
    const char  *out, *instruments_file;
    uint8_t      market;
    bool         json, quiet;
    char *const *files;
    uint32_t     file_count;

    config_t             *config;
    config_instruments_t *listed;
    capture_def_t         def;
    const venue_codec_t  *venue;
    void                 *codec[CAPTURE_KINDS];
    md_buf_t              slot;
    capture_t            *cap;
    recorder_t            recorder;
    bool                  recording;
    bool                  settings; /* are read: what fails behind them is no matter of usage */
    err_t                 sink_err;
    int64_t               now_ns;
    uint64_t              seq, lines, text_bytes, faults;
} import_t;

static void usage(void)
{
    fputs(
        "usage: hwal record import CAPTURE... --out FILE [OPTIONS]\n"
        "       hwal record import FILE.dbn[.zst]... --out FILE [--json] [--quiet]\n\n"
        "Make a recording of captures (lines of `<receive ns> <JSON>`, gzip or plain; several are one stream). "
        "Replaying "
        "it\n"
        "gives what replaying the captures gives, many times faster. Of Databento files the single orders (schema mbo) "
        "and\n"
        "trades; scale and tick of an instrument come from its prices.\n\n"
        "  --out FILE         the recording; an existing file is refused\n"
        "  --instruments FILE instruments with scales and ticks (default configs/instruments.yaml)\n"
        "  --market KIND      spot, usdm or coinm; default: what the messages look like\n"
        "  --json             one JSON object on stdout\n"
        "  --quiet            nothing on stdout\n\n"
        "Exit code: 0 ok; 1 the data has faults (they are named, and in the recording the books are broken there); 2 "
        "usage.\n\n"
        "examples:\n"
        "  hwal record import btcusdt_20240808.gz btcusdt_20240809.gz --out btcusdt.hwr\n"
        "  hwal record import esh4-20231224.mbo.dbn.zst esh4-20231225.mbo.dbn.zst --out es.hwr\n",
        stdout);
}

static void fault(import_t *m)
{
    if (m->faults++ < FAULTS_TOLD) {
        command_error("record", EXIT_FINDING, "%s", err_msg());
    }
}

static md_slot_t slot_reserve(void *ctx, msg_type_t type)
{
    import_t *m = ctx;
    (void)type;
    return (md_slot_t){.body = &m->slot.body, .levels = m->slot.levels};
}

static void slot_commit(void *ctx, const msg_t *msg)
{
    import_t               *m     = ctx;
    const recording_entry_t entry = {.msg   = *msg,
                                     .seq   = ++m->seq,
                                     .ts_ns = m->now_ns,
                                     .topic =
                                         *(const uint32_t *)msg->body}; /* instrument_id stands first in all of them */
    m->sink_err                   = m->sink_err ? m->sink_err : recorder_write(&m->recorder, &entry);
}

static void lose(import_t *m, uint32_t file)
{
    m->venue->lost(m->codec[m->def.file_kind[file]], m->def.file_instrument[file], FEED_REASON_LOST, m->now_ns);
}

/* The book found a fault that the codec cannot see: the codec is told, as a replay tells it. */
static void book_faults(import_t *m, const capture_line_t *line)
{
    for (uint32_t i = 1; i <= m->def.count; i++) {
        const book_t *book  = m->recorder.books.book[i];
        void         *codec = m->codec[m->def.ins[i - 1].def.kind];
        if (book_health(book) == FEED_BROKEN && m->venue->feed_stats(codec, i)->health == FEED_LIVE) {
            err_wrap(ERR_STATE, "%s line %" PRIu64 ": the book is BROKEN (%s)", m->files[line->file], line->line_no,
                     feed_reason_str(book_reason(book)));
            fault(m);
            m->venue->lost(codec, i, book_reason(book), line->ts_recv_ns);
        }
    }
}

static err_t line_take(import_t *m, const capture_line_t *line)
{
    void            *codec  = m->codec[m->def.file_kind[line->file]];
    const uint64_t   nobody = m->venue->stats(codec)->unassigned;
    const md_frame_t frame  = {.text          = line->text,
                               .len           = line->len,
                               .ts_recv_ns    = line->ts_recv_ns,
                               .instrument_id = m->def.file_instrument[line->file]};
    m->now_ns               = line->ts_recv_ns;
    if (m->lines++ == 0) { /* the clock of a replay begins with the first line, whatever comes of it */
        const tick_t            tick  = {.mono_ns = m->now_ns, .utc_ns = m->now_ns};
        const recording_entry_t entry = {.msg = {.type = MSG_TICK, .body = &tick}, .seq = ++m->seq, .ts_ns = m->now_ns};
        m->sink_err                   = recorder_write(&m->recorder, &entry);
    }
    m->text_bytes += line->len;
    const err_t bad = m->venue->decode(codec, &frame);
    if (bad && !m->sink_err) {
        err_wrap(bad, "%s line %" PRIu64, m->files[line->file], line->line_no);
        fault(m);
        if (m->venue->stats(codec)->unassigned != nobody) {
            lose(m, line->file); /* too garbled to say whose it is */
        }
    } else {
        book_faults(m, line);
    }
    return m->sink_err;
}

static err_t all_lines(import_t *m)
{
    capture_line_t line = {0};
    err_t          err  = ERR_OK, read;
    while (!err && ((read = capture_next(m->cap, &line)) == ERR_OK || (read != ERR_END && line.fault))) {
        if (read) {
            fault(m);
            lose(m, line.file);
            err = m->sink_err;
        } else {
            err = line_take(m, &line);
        }
    }
    if (!err && read != ERR_END) { /* the stream is cut: all files end here */
        fault(m);
        for (uint32_t f = 0; f < m->file_count; f++) {
            lose(m, f);
        }
        err = m->sink_err;
    }
    return err;
}

static void note(void *ctx, const char *text)
{
    (void)ctx;
    command_error("record", EXIT_OK, "note: %s", text);
}

static err_t codecs_open(import_t *m)
{
    const venue_codec_cfg_t cfg = {.feeds_max = CAPTURE_INSTRUMENTS_MAX,
                                   .sink      = {.ctx = m, .reserve = slot_reserve, .commit = slot_commit}};
    for (uint32_t i = 0; i < m->def.count; i++) {
        const instrument_t *ins  = &m->def.ins[i];
        const uint8_t       kind = ins->def.kind;
        if (!m->codec[kind]) {
            const size_t bytes = m->venue->footprint(&cfg);
            void        *mem   = bytes ? aligned_alloc(m->venue->align(), (bytes + 4095) & ~(size_t)4095) : NULL;
            m->codec[kind]     = mem ? m->venue->create(mem, &cfg) : NULL;
            if (!m->codec[kind]) {
                free(mem);
                return err_wrap(ERR_LIMIT, "%s codec", m->venue->name);
            }
        }
        feed_ref_t ref = {.instrument_id = i + 1, .kind = kind, .px_exp = ins->def.px_exp, .qty_exp = ins->def.qty_exp};
        memcpy(ref.symbol, ins->symbol, sizeof ref.symbol);
        err_t       err = m->venue->feed_add(m->codec[kind], &ref);
        const msg_t def = {.type       = MSG_INSTRUMENT_DEF,
                           .body       = &ins->def,
                           .tail       = ins->bands,
                           .tail_count = ins->band_count,
                           .text       = ins->symbol};
        err             = err ? err : recorder_define(&m->recorder, &def);
        if (err) {
            return err;
        }
    }
    return ERR_OK;
}

/* Everything that can be wrong before the file is made. */
static err_t inputs_open(import_t *m)
{
    char  path[4096];
    err_t err = config_load(NULL, &m->config);
    if (!err && (m->instruments_file || config_path("instruments.yaml", path, sizeof path))) {
        err = config_instruments_load(m->instruments_file ? m->instruments_file : path, &m->listed);
    }
    m->settings = !err;
    m->venue    = venue_codec_find("binance");
    err         = err || m->venue ? err : err_set(ERR_INTERNAL, "no codec \"binance\"");
    err         = err ? err
                      : capture_def_open(&m->def, m->venue->name, m->listed, m->files, m->file_count, m->market, note, NULL);
    if (!err) {
        void *mem = aligned_alloc(capture_align(), (capture_footprint(m->file_count) + 4095) & ~(size_t)4095);
        err       = mem ? capture_open(mem, (const char *const *)m->files, m->file_count, &m->cap)
                        : err_set(ERR_LIMIT, "out of memory");
        if (err) {
            free(mem);
        }
    }
    return err;
}

static err_t import_all(import_t *m)
{
    recording_about_t about = {.core_version = ENGINE_CORE_VERSION, .source_count = 1, .source = {"capture"}};
    err_t             err   = inputs_open(m);
    if (err) {
        return err;
    }
    const book_cfg_t book = {.window_ticks = (uint32_t)m->config->engine.book_window_ticks,
                             .far_slots    = (uint32_t)m->config->engine.book_far_levels};
    snprintf(about.build, sizeof about.build, "%s", version_build_id());
    err          = recorder_open(&m->recorder, m->out, &about, &book);
    m->recording = !err;
    err          = err ? err : codecs_open(m);
    err          = err ? err : all_lines(m);
    if (m->recording) {
        const err_t closed = recorder_close(&m->recorder, m->now_ns);
        err                = err ? err : closed;
    }
    return err;
}

static void import_free(import_t *m)
{
    if (m->cap) {
        capture_close(m->cap);
        free(m->cap);
    }
    for (unsigned k = 0; k < CAPTURE_KINDS; k++) {
        free(m->codec[k]);
    }
    if (m->listed) {
        config_instruments_free(m->listed);
    }
    config_free(m->config);
}

static int options(import_t *m, int argc, char **argv)
{
    static const struct option list[] = {{"out", required_argument, NULL, 'o'},
                                         {"instruments", required_argument, NULL, 'i'},
                                         {"market", required_argument, NULL, 'm'},
                                         {"json", no_argument, NULL, 'j'},
                                         {"quiet", no_argument, NULL, 'q'},
                                         {"help", no_argument, NULL, 'h'},
                                         {NULL, 0, NULL, 0}};
    opterr                            = 0;
    optind                            = 1;
    for (int c; (c = getopt_long(argc, argv, "ho:", list, NULL)) != -1;) {
        switch (c) {
        case 'o': m->out = optarg; break;
        case 'i': m->instruments_file = optarg; break;
        case 'm':
            m->market = capture_market_kind(optarg);
            if (!m->market) {
                return command_error("record", EXIT_USAGE, "--market \"%s\" is none of spot, usdm, coinm", optarg);
            }
            break;
        case 'j': m->json = true; break;
        case 'q': m->quiet = true; break;
        case 'h': usage(); return -1;
        default: return command_unknown("record", argv);
        }
    }
    m->files      = argv + optind;
    m->file_count = (uint32_t)(argc - optind);
    if (m->file_count == 0 || m->file_count > CAPTURE_FILES_MAX) {
        return command_error("record", EXIT_USAGE, "import: %u captures, limits 1 to %u (--help shows an example)",
                             m->file_count, CAPTURE_FILES_MAX);
    }
    return m->out ? EXIT_OK : command_error("record", EXIT_USAGE, "import: no --out FILE");
}

int record_import(int argc, char **argv)
{
    import_t *m = calloc(1, sizeof *m);
    if (!m) {
        return command_error("record", EXIT_FINDING, "out of memory");
    }
    int rc = options(m, argc, argv);
    if (rc) {
        free(m);
        return rc < 0 ? EXIT_OK : rc;
    }
    if (replay_dbn_asked(argc, argv)) { /* files of another kind: not lines, but records of single orders */
        rc = m->instruments_file || m->market
                 ? command_error("record", EXIT_USAGE, "import: --instruments and --market go with captures only")
                 : record_import_dbn(m->out, m->files, m->file_count, m->json, m->quiet);
        free(m);
        return rc;
    }
    const err_t err = import_all(m);
    if (err) {
        rc = command_error("record", !m->settings || err == ERR_EXISTS ? EXIT_USAGE : EXIT_FINDING, "%s", err_msg());
    } else {
        rc = m->faults ? EXIT_FINDING : EXIT_OK;
    }
    if (!err && m->json) {
        json_t *o =
            json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I}", "command", "record-import", "file", command_text(m->out),
                      "lines", (json_int_t)m->lines, "text_bytes", (json_int_t)m->text_bytes, "messages",
                      (json_int_t)m->seq, "bytes", (json_int_t)m->recorder.bytes, "faults", (json_int_t)m->faults);
        json_dumpf(o, stdout, JSON_INDENT(2));
        fputc('\n', stdout);
        json_decref(o);
    } else if (!err && !m->quiet) {
        printf("%s: %" PRIu64 " messages of %" PRIu64 " lines (%.1f MB of text) in %.2f MB\n", m->out, m->seq, m->lines,
               (double)m->text_bytes / 1e6, (double)m->recorder.bytes / 1e6);
    }
    import_free(m);
    free(m);
    return rc;
}
