/* hwal journal: read, check and compare the journals of instances. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/types/decimal.h"
#include "core/types/msg.h"
#include "hwal_fbs.h"
#include "ipc/fbs_json.h"
#include "ipc/journal.h"
#include "tools/command.h"
#include "tools/config.h"

#define TEXT_MAX (64u * 1024u)
#define LIVE_TRIES 5u /* a journal that is being written may look torn for a moment */

static int usage(FILE *to)
{
    fputs("usage: hwal journal cat [OPTIONS]\n"
          "       hwal journal verify [OPTIONS]\n"
          "       hwal journal diff [OPTIONS] A B\n\n"
          "cat prints the records of a journal: inputs, and indented what each caused. verify reads it to its end and "
          "checks\n"
          "every checksum, the hash chain, numbers and sequences. diff names the first record in which two journals "
          "differ;\n"
          "A and B are instances or, where there is such a directory, directories.\n\n"
          "  --instance NAME   whose journal (default: HWAL_INSTANCE, else \"default\")\n"
          "  --config FILE     the instance and journal.dir of this configuration\n"
          "  --dir DIR         the journal in this directory\n"
          "  --from SEQ        cat: from this engine sequence on\n"
          "  --to SEQ          cat: to this one\n"
          "  --type NAME       cat: messages of this type only, for example EXEC_REPORT\n"
          "  --json            cat: a FlatBuffers Record as JSON on each line; verify, diff: one JSON object\n\n"
          "exit codes: 0 fine, 1 damaged or different (file, offset and record are named), 2 usage, 3 no journal "
          "there\n\n"
          "examples:\n"
          "  hwal journal verify --instance demo\n"
          "  hwal journal cat --from 1000 --to 1010\n"
          "  hwal journal cat --type ORDER_REQUEST --json | head\n"
          "  hwal journal diff demo /tmp/copy-of-demo\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

typedef struct options {
    const char *instance;
    const char *config;
    const char *dir;
    const char *type_name;
    msg_type_t  type;
    uint64_t    from, to;
    bool        json;
} options_t;

static const struct option long_options[] = {{"instance", required_argument, NULL, 'i'},
                                             {"config", required_argument, NULL, 'c'},
                                             {"dir", required_argument, NULL, 'd'},
                                             {"from", required_argument, NULL, 'f'},
                                             {"to", required_argument, NULL, 't'},
                                             {"type", required_argument, NULL, 'y'},
                                             {"json", no_argument, NULL, 'j'},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

static bool number(const char *text, uint64_t *out)
{
    int64_t n = -1;
    if (decimal_parse(text, strlen(text), 0, &n) != ERR_OK || n < 0) {
        return false;
    }
    *out = (uint64_t)n;
    return true;
}

static msg_type_t type_of(const char *name)
{
    for (int type = 1; type < MSG_TYPE_COUNT; type++) {
        if (strcmp(name, msg_type_str((msg_type_t)type)) == 0) {
            return (msg_type_t)type;
        }
    }
    return MSG_NONE;
}

/* One answer of getopt; false: refused, and said why. */
static bool option(options_t *o, int c, char **argv)
{
    switch (c) {
    case 'i': o->instance = optarg; return true;
    case 'c': o->config = optarg; return true;
    case 'd': o->dir = optarg; return true;
    case 'j': o->json = true; return true;
    case 'f':
    case 't':
        if (!number(optarg, c == 'f' ? &o->from : &o->to)) {
            command_error("journal", EXIT_USAGE, "--%s %s: an engine sequence is a whole number",
                          c == 'f' ? "from" : "to", optarg);
            return false;
        }
        return true;
    case 'y':
        o->type_name = optarg;
        o->type      = type_of(optarg);
        if (o->type == MSG_NONE) {
            command_error("journal", EXIT_USAGE, "--type %s: no such type, for example EXEC_REPORT", optarg);
        }
        return o->type != MSG_NONE;
    default: command_unknown("journal", argv); return false;
    }
}

/* The directory that the options name. */
static int directory(const options_t *o, const char *instance, char *out, size_t cap)
{
    config_t *config = NULL;
    if (o->dir != NULL) {
        snprintf(out, cap, "%s", o->dir);
        return EXIT_OK;
    }
    if (instance != NULL) {
        setenv("HWAL_INSTANCE", instance, 1); /* above the file, and checked like any other setting */
    }
    err_t err = config_load(o->config, &config);
    err       = err == ERR_OK ? config_state_dir(config, out, cap) : err;
    config_free(config);
    return err == ERR_OK ? EXIT_OK : command_error("journal", EXIT_USAGE, "%s", err_msg());
}

static int open_journal(const char *dir, journal_reader_t **out)
{
    const err_t err = journal_open_dir(dir, NULL, out);
    if (err == ERR_NOT_FOUND) {
        return command_error("journal", EXIT_NOT_RUNNING, "%s: there is no journal (--instance, --config, --dir)", dir);
    }
    return err == ERR_OK ? EXIT_OK : command_error("journal", EXIT_FINDING, "%s", err_msg());
}

/* ---- cat ---------------------------------------------------------------------------------------------------------- */
static void print_time(int64_t utc_ns)
{
    struct tm    tm;
    const time_t s = (time_t)(utc_ns / NS_PER_S);
    char         text[32];
    if (gmtime_r(&s, &tm) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        printf("%" PRId64, utc_ns);
        return;
    }
    printf("%s.%09" PRId64 "Z", text, (int64_t)(utc_ns % NS_PER_S));
}

static int record_json(const journal_entry_t *e, char *text, size_t *len)
{
    return fbs_json_out(&hwal_record_object, e->bytes, text, TEXT_MAX, len) == ERR_OK
               ? EXIT_OK
               : command_error("journal", EXIT_FINDING, "record %" PRIu64 ": %s", e->number, err_msg());
}

static void print_line(const journal_entry_t *e, const char *json)
{
    static const char *const sources[] = {"-", "engine", "md", "exec", "cmd"};
    const record_head_t     *head      = &e->record.head;
    const bool               input     = head->kind == RECORD_INPUT;
    const char              *body      = strstr(json, "\"msg\":");
    body                               = body != NULL ? body + 6 : json;
    const char *end                    = strstr(body, ",\"head\":");
    printf("%10" PRIu64 " %10" PRIu64 "  ", e->number, e->record.sequence);
    print_time(e->record.now.utc_ns);
    if (input) {
        printf("  %-6s %u/%" PRIu64, head->source < sizeof sources / sizeof sources[0] ? sources[head->source] : "?",
               head->source_gen, head->source_seq);
    }
    printf("%s%s %.*s", input ? "  " : "      -> ", msg_type_str(e->record.msg.type),
           end != NULL ? (int)(end - body) : (int)strlen(body), body);
    if (input) {
        printf("  hash %016" PRIx64, head->output_hash);
        if (head->err != 0) {
            printf("  refused: %s", err_str((err_t)head->err));
        }
    }
    putchar('\n');
}

static int cat(const options_t *o)
{
    static char       text[TEXT_MAX];
    char              dir[4096];
    journal_reader_t *reader = NULL;
    journal_entry_t   e;
    size_t            len = 0;
    int               rc  = directory(o, o->instance, dir, sizeof dir);
    rc                    = rc == EXIT_OK ? open_journal(dir, &reader) : rc;
    if (rc != EXIT_OK) {
        return rc;
    }
    err_t err = o->from > 1 ? journal_seek(reader, o->from - 1) : ERR_OK;
    while (err == ERR_OK && rc == EXIT_OK && (err = journal_next(reader, &e)) == ERR_OK && e.record.sequence <= o->to) {
        if (o->type != MSG_NONE && e.record.msg.type != o->type) {
            continue;
        }
        rc = record_json(&e, text, &len);
        if (rc == EXIT_OK && o->json) {
            rc = puts(text) >= 0 ? EXIT_OK : EXIT_FINDING;
        } else if (rc == EXIT_OK) {
            print_line(&e, text);
        }
        if (ferror(stdout)) {
            rc = EXIT_FINDING; /* main says why */
        }
    }
    if (err != ERR_OK && err != ERR_END) {
        rc = command_error("journal", EXIT_FINDING, "%s: %s", dir, err_msg());
    } else if (err == ERR_END && journal_end(reader)->note[0] != '\0') {
        fprintf(stderr, "hwal journal: %s: %s\n", dir, journal_end(reader)->note);
    }
    journal_close(reader);
    return rc;
}

/* ---- verify ------------------------------------------------------------------------------------------------------- */
typedef struct verified {
    journal_id_t    id;
    journal_stats_t stats;
    journal_end_t   end;
    err_t           err;
    uint64_t        first_sequence;
    int64_t         first_utc_ns, last_utc_ns;
    uint32_t        lives; /* BOOT records */
    uint32_t        first_epoch, last_epoch;
    double          seconds;
    char            what[512];
} verified_t;

static int verify_once(const char *dir, verified_t *v)
{
    journal_reader_t *reader = NULL;
    journal_entry_t   e;
    struct timespec   t0, t1;
    *v           = (verified_t){0};
    const int rc = open_journal(dir, &reader);
    if (rc != EXIT_OK) {
        return rc;
    }
    clock_gettime(CLOCK_MONOTONIC, &t0);
    while ((v->err = journal_next(reader, &e)) == ERR_OK) {
        if (v->first_sequence == 0) {
            v->first_sequence = e.record.sequence;
            v->first_utc_ns   = e.record.now.utc_ns;
        }
        v->last_utc_ns = e.record.now.utc_ns;
        if (e.record.msg.type == MSG_BOOT) {
            v->last_epoch  = ((const boot_t *)e.record.msg.body)->epoch;
            v->first_epoch = v->lives++ == 0 ? v->last_epoch : v->first_epoch;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &t1);
    snprintf(v->what, sizeof v->what, "%s", v->err == ERR_END ? journal_end(reader)->note : err_msg());
    v->id       = *journal_id(reader);
    v->stats    = *journal_stats(reader);
    v->end      = *journal_end(reader);
    v->end.keep = NULL;
    v->seconds  = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
    journal_close(reader);
    return v->what[0] == '\0' ? EXIT_OK : EXIT_FINDING;
}

static void verify_text(const char *dir, const verified_t *v)
{
    printf("journal    %s\nsession    %016" PRIx64 ", core version %u, configuration %016" PRIx64 "\n", dir,
           v->id.session, v->id.core_version, v->id.config_hash);
    printf("files      %" PRIu64 ", %" PRIu64 " blocks, %" PRIu64 " bytes\n", v->stats.files, v->stats.blocks,
           v->stats.bytes);
    printf("records    %" PRIu64 ": %" PRIu64 " inputs, %" PRIu64 " outputs; the last is number %" PRIu64 "\n",
           v->stats.inputs + v->stats.outputs, v->stats.inputs, v->stats.outputs, v->end.pos.record);
    if (v->stats.inputs > 0) {
        printf("sequences  %" PRIu64 " to %" PRIu64 "\nlives      %u, epochs %u to %u\ntime       ", v->first_sequence,
               v->end.pos.sequence, v->lives, v->first_epoch, v->last_epoch);
        print_time(v->first_utc_ns);
        printf(" to ");
        print_time(v->last_utc_ns);
        putchar('\n');
    }
    printf("read       %.3f s, %.0f MB/s\n", v->seconds,
           (double)v->stats.bytes / 1e6 / (v->seconds > 0 ? v->seconds : 1e-9));
    if (v->what[0] != '\0') {
        printf("%s  %s\n", v->err == ERR_END ? "END      " : "DAMAGED  ", v->what);
        if (v->err == ERR_END && v->end.dropped_records + v->end.dropped_bytes > 0) {
            printf("dropped    %" PRIu64 " records, %" PRIu64 " bytes behind the end\n", v->end.dropped_records,
                   v->end.dropped_bytes);
        }
    } else {
        printf("ok\n");
    }
}

static void print_json(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    puts(text);
    free(text);
}

static void verify_json(const char *dir, const verified_t *v)
{
    char session[20], config[20];
    snprintf(session, sizeof session, "%016" PRIx64, v->id.session);
    snprintf(config, sizeof config, "%016" PRIx64, v->id.config_hash);
    json_t *json = json_pack("{s:o,s:s,s:s,s:I,s:b,s:b,s:o}", "dir", command_text(dir), "session", session,
                             "config_hash", config, "core_version", (json_int_t)v->id.core_version, "ok",
                             v->what[0] == '\0', "damaged", v->err != ERR_END, "note", command_text(v->what));
    const struct {
        const char *name;
        uint64_t    value;
    } numbers[] = {{"files", v->stats.files},
                   {"blocks", v->stats.blocks},
                   {"bytes", v->stats.bytes},
                   {"inputs", v->stats.inputs},
                   {"outputs", v->stats.outputs},
                   {"last_record", v->end.pos.record},
                   {"first_sequence", v->first_sequence},
                   {"last_sequence", v->end.pos.sequence},
                   {"first_utc_ns", (uint64_t)v->first_utc_ns},
                   {"last_utc_ns", (uint64_t)v->last_utc_ns},
                   {"lives", v->lives},
                   {"first_epoch", v->first_epoch},
                   {"last_epoch", v->last_epoch},
                   {"end_file", v->end.pos.file_number},
                   {"end_offset", v->end.pos.offset},
                   {"dropped_records", v->end.dropped_records},
                   {"dropped_bytes", v->end.dropped_bytes},
                   {"read_us", (uint64_t)(v->seconds * 1e6)}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        json_object_set_new(json, numbers[i].name, json_integer((json_int_t)numbers[i].value));
    }
    print_json(json);
}

static int verify(const options_t *o)
{
    char       dir[4096];
    verified_t v;
    int        rc = directory(o, o->instance, dir, sizeof dir);
    if (rc != EXIT_OK) {
        return rc;
    }
    rc = verify_once(dir, &v);
    for (uint32_t i = 1; rc == EXIT_FINDING && v.stats.files > 0 && i < LIVE_TRIES; i++) {
        const uint64_t record = v.end.pos.record;
        usleep(50000);
        rc = verify_once(dir, &v);
        if (rc == EXIT_FINDING && v.end.pos.record == record) {
            break; /* nobody writes: it is so */
        }
    }
    if (v.stats.files > 0) {
        o->json ? verify_json(dir, &v) : verify_text(dir, &v);
    }
    return rc;
}

/* ---- diff --------------------------------------------------------------------------------------------------------- */
/* Where two JSON texts of one writer first differ: the member's path, and where its value begins in text a. Not by
 * jansson: it has no unsigned integers of 64 bits. */
typedef struct place {
    char   path[256];
    size_t value;
} place_t;

static place_t first_difference(const char *a, const char *b)
{
    place_t     place = {.path = "", .value = 0};
    const char *key[FBS_DEPTH_MAX + 2];
    size_t      value = 0, key_len[FBS_DEPTH_MAX + 2] = {0};
    uint32_t    depth = 0;
    for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++) {
        if (a[i] == '{' || a[i] == '[') {
            depth          = depth < FBS_DEPTH_MAX + 1 ? depth + 1 : depth;
            key_len[depth] = 0;
            value          = i + 1;
        } else if ((a[i] == '}' || a[i] == ']') && depth > 0) {
            depth--;
        } else if (a[i] == ',') {
            value = i + 1;
        } else if (a[i] == '"') { /* to its end, if both go as far */
            size_t end = i + 1;
            while (a[end] == b[end] && a[end] != '"' && a[end] != '\0') {
                end += a[end] == '\\' && a[end + 1] == b[end + 1] && a[end + 1] != '\0' ? 2 : 1;
            }
            if (a[end] != '"' || b[end] != '"') {
                break;
            }
            if (a[end + 1] == ':') {
                key[depth]     = a + i + 1;
                key_len[depth] = end - i - 1;
                value          = end + 2;
            }
            i = end;
        }
    }
    for (uint32_t d = 0; d <= depth; d++) {
        const size_t at = strlen(place.path);
        if (key_len[d] > 0) {
            snprintf(place.path + at, sizeof place.path - at, "%s%.*s", at > 0 ? "." : "", (int)key_len[d], key[d]);
        }
    }
    place.value = value;
    return place;
}

/* A value's text: to the end of the member. */
static void value_text(const char *text, char *out, size_t cap)
{
    text += strspn(text, " ");
    const size_t len = *text == '"' ? strcspn(text + 1, "\"") + 2 : strcspn(text, ",}]");
    snprintf(out, cap, "%.*s", (int)(len < strlen(text) ? len : strlen(text)), text);
}

static int report_difference(const options_t *o, const char *const names[2], const journal_entry_t e[2],
                             const bool have[2])
{
    static char            text[2][TEXT_MAX];
    char                   values[2][128] = {"", ""};
    place_t                place          = {.path = ""};
    const journal_entry_t *one            = have[0] ? &e[0] : &e[1];
    size_t                 len;
    if (have[0] && have[1]) {
        if (record_json(&e[0], text[0], &len) == EXIT_OK && record_json(&e[1], text[1], &len) == EXIT_OK) {
            place = first_difference(text[0], text[1]);
            value_text(text[0] + place.value, values[0], sizeof values[0]);
            value_text(text[1] + place.value, values[1], sizeof values[1]);
        }
    } else {
        snprintf(place.path, sizeof place.path, "%s has no more records", names[have[0] ? 1 : 0]);
    }
    if (o->json) {
        print_json(json_pack("{s:b,s:I,s:I,s:s,s:o,s:o,s:o}", "same", 0, "record", (json_int_t)one->number, "sequence",
                             (json_int_t)one->record.sequence, "type", msg_type_str(one->record.msg.type), "difference",
                             command_text(place.path), "a", command_text(values[0]), "b", command_text(values[1])));
        return EXIT_FINDING;
    }
    printf("record %" PRIu64 ", sequence %" PRIu64 ", %s: %s", one->number, one->record.sequence,
           msg_type_str(one->record.msg.type), place.path);
    if (values[0][0] != '\0') {
        printf(": %s in %s, %s in %s", values[0], names[0], values[1], names[1]);
    }
    putchar('\n');
    return EXIT_FINDING;
}

static int diff(const options_t *o, const char *const names[2])
{
    journal_reader_t *reader[2] = {NULL, NULL};
    journal_entry_t   e[2]      = {{0}, {0}};
    uint64_t          count     = 0;
    int               rc        = EXIT_OK;
    for (int i = 0; rc == EXIT_OK && i < 2; i++) {
        char dir[4096];
        if (access(names[i], X_OK) == 0) {
            snprintf(dir, sizeof dir, "%s", names[i]);
        } else {
            rc = directory(o, names[i], dir, sizeof dir);
        }
        rc = rc == EXIT_OK ? open_journal(dir, &reader[i]) : rc;
    }
    while (rc == EXIT_OK) {
        const err_t err[2] = {journal_next(reader[0], &e[0]), ERR_OK};
        if (err[0] != ERR_OK && err[0] != ERR_END) {
            rc = command_error("journal", EXIT_FINDING, "%s: %s", names[0], err_msg());
            break;
        }
        const err_t second = journal_next(reader[1], &e[1]);
        if (second != ERR_OK && second != ERR_END) {
            rc = command_error("journal", EXIT_FINDING, "%s: %s", names[1], err_msg());
            break;
        }
        const bool have[2] = {err[0] == ERR_OK, second == ERR_OK};
        if (!have[0] && !have[1]) {
            if (o->json) {
                print_json(json_pack("{s:b,s:I}", "same", 1, "records", (json_int_t)count));
            } else {
                printf("the same: %" PRIu64 " records\n", count);
            }
            break;
        }
        if (!have[0] || !have[1] || e[0].len != e[1].len || memcmp(e[0].bytes, e[1].bytes, e[0].len) != 0) {
            rc = report_difference(o, names, e, have);
        }
        count++;
    }
    journal_close(reader[0]);
    journal_close(reader[1]);
    return rc;
}

int command_journal(int argc, char **argv)
{
    options_t o = {.to = UINT64_MAX};
    opterr      = 0;
    for (int c; (c = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
        if (c == 'h') {
            return usage(stdout);
        }
        if (!option(&o, c, argv)) {
            return EXIT_USAGE;
        }
    }
    const int   left = argc - optind;
    const char *verb = left > 0 ? argv[optind] : "";
    if (left == 1 && strcmp(verb, "cat") == 0) {
        return cat(&o);
    }
    if (left == 1 && strcmp(verb, "verify") == 0) {
        return verify(&o);
    }
    if (left == 3 && strcmp(verb, "diff") == 0) {
        return diff(&o, (const char *const[]){argv[optind + 1], argv[optind + 2]});
    }
    return usage(stderr);
}
