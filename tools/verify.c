#include "tools/verify.h"

#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/engine/engine_view.h"
#include "ipc/attach.h"
#include "ipc/role.h"
#include "tools/command.h"
#include "tools/config.h"

#define NAME_PREFIX "snapshot."
#define NAME_DIGITS 20u

/* ---- snapshots of a directory ------------------------------------------------------------------------------------- */
typedef struct found {
    snapshot_info_t info;
    int             fd;
} found_t;

typedef struct found_list {
    uint32_t count;
    found_t  at[VERIFY_SNAPSHOTS_MAX];
} found_list_t;

static bool is_snapshot(const char *name)
{
    const size_t prefix = sizeof NAME_PREFIX - 1;
    return strncmp(name, NAME_PREFIX, prefix) == 0 && strlen(name) == prefix + NAME_DIGITS &&
           strspn(name + prefix, "0123456789") == NAME_DIGITS;
}

static int by_sequence(const void *a, const void *b)
{
    const found_t *x = a, *y = b;
    return x->info.sequence < y->info.sequence ? -1 : x->info.sequence > y->info.sequence;
}

static err_t snapshots_open(const char *dir, found_list_t *list)
{
    DIR  *d   = opendir(dir);
    err_t err = ERR_OK;
    *list     = (found_list_t){0};
    if (!d) {
        return err_set(ERR_NOT_FOUND, "%s: no such directory", dir);
    }
    for (const struct dirent *entry; !err && (entry = readdir(d));) {
        if (!is_snapshot(entry->d_name)) {
            continue;
        }
        if (list->count == VERIFY_SNAPSHOTS_MAX) {
            err = err_set(ERR_LIMIT, "%s: more than %u snapshots", dir, VERIFY_SNAPSHOTS_MAX);
            break;
        }
        found_t *f = &list->at[list->count];
        f->fd      = openat(dirfd(d), entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (f->fd < 0) {
            err = err_set(ERR_IO, "%s/%s cannot be opened", dir, entry->d_name);
            break;
        }
        list->count++;
        err = snapshot_head(f->fd, &f->info);
        err = err ? err_wrap(err, "%s/%s", dir, entry->d_name) : ERR_OK;
    }
    closedir(d);
    qsort(list->at, list->count, sizeof list->at[0], by_sequence);
    return err;
}

static void snapshots_close(found_list_t *list)
{
    while (list->count) {
        close(list->at[--list->count].fd);
    }
}

/* ---- the replay --------------------------------------------------------------------------------------------------- */
/* The oldest snapshot from which the journal goes on; *first is its place in the list. */
static err_t begin(const char *dir, const found_list_t *list, recover_t *r, journal_reader_t **journal, uint32_t *first)
{
    err_t err = ERR_NOT_FOUND;
    for (uint32_t i = 0; i < list->count; i++) {
        err = journal_open_dir(dir, &list->at[i].info.id, journal);
        if (err) {
            return err;
        }
        err = recover_open(r, list->at[i].fd, &list->at[i].info.id);
        if (!err) {
            err = journal_seek(*journal, r->sequence);
            if (!err) {
                *first = i;
                return ERR_OK;
            }
            recover_close(r);
        }
        journal_close(*journal);
        *journal = NULL;
        if (err != ERR_GAP) { /* GAP: files between were removed; a later snapshot may do */
            return err;
        }
    }
    return err == ERR_NOT_FOUND ? err_set(ERR_NOT_FOUND, "%s: no snapshot to begin with", dir) : err;
}

static void snapshots_compare(const recover_t *r, const found_list_t *list, uint32_t first, verify_result_t *out)
{
    for (uint32_t i = 0; i < out->snapshot_count; i++) {
        const snapshot_info_t *info = &list->at[first + 1 + i].info;
        if (!out->snapshots[i].checked && info->sequence == r->sequence) {
            out->snapshots[i].checked = true;
            out->snapshots[i].equal = info->record == r->record && info->output_hash == engine_output_hash(r->engine) &&
                                      info->state_hash == engine_state_hash(r->engine);
        }
    }
}

/* Is a snapshot taken here? One compare a record for what is rare. */
static bool snapshot_due(const recover_t *r, const verify_result_t *out)
{
    for (uint32_t i = 0; i < out->snapshot_count; i++) {
        if (!out->snapshots[i].checked) {
            return out->snapshots[i].sequence <= r->sequence;
        }
    }
    return false;
}

static err_t replay(recover_t *r, journal_reader_t *journal, const found_list_t *list, uint32_t first,
                    verify_result_t *out)
{
    journal_entry_t entry;
    err_t           err;
    while ((err = journal_next(journal, &entry)) == ERR_OK) {
        if (entry.record.head.kind == RECORD_INPUT && snapshot_due(r, out)) {
            snapshots_compare(r, list, first, out);
        }
        err = recover_entry(r, &entry);
        if (err) {
            return err;
        }
    }
    err = err == ERR_END ? recover_flush(r) : err;
    if (!err) {
        snapshots_compare(r, list, first, out);
        snprintf(out->note, sizeof out->note, "%s", journal_end(journal)->note);
    }
    return err;
}

static void result_take(const recover_t *r, verify_result_t *out)
{
    out->session        = r->from.id.session;
    out->inputs         = r->counts.inputs;
    out->outputs        = r->counts.outputs;
    out->lives          = r->counts.lives;
    out->first_sequence = r->counts.first_sequence;
    out->last_sequence  = r->sequence;
    out->last_record    = r->record;
    out->output_hash    = engine_output_hash(r->engine);
    out->state_hash     = engine_state_hash(r->engine);
    out->diff           = r->diff;
}

err_t verify_dir(const char *dir, verify_result_t *out)
{
    static found_list_t list;
    journal_reader_t   *journal = NULL;
    recover_t          *r       = calloc(1, sizeof *r);
    uint32_t            first   = 0;
    *out                        = (verify_result_t){0};
    if (!r) {
        return err_set(ERR_LIMIT, "out of memory");
    }
    err_t err = snapshots_open(dir, &list);
    err       = err ? err : begin(dir, &list, r, &journal, &first);
    if (!err) {
        out->snapshot_count = list.count - first - 1;
        for (uint32_t i = 0; i < out->snapshot_count; i++) {
            out->snapshots[i].sequence = list.at[first + 1 + i].info.sequence;
        }
        const int64_t began = role_mono_ns();
        const err_t   found = replay(r, journal, &list, first, out);
        out->seconds        = (double)(role_mono_ns() - began) / 1e9;
        out->equal          = !found;
        for (uint32_t i = 0; i < out->snapshot_count; i++) {
            out->equal &= !out->snapshots[i].checked || out->snapshots[i].equal;
        }
        if (found && !r->diff.found) {
            snprintf(out->note, sizeof out->note, "%.255s", err_msg());
        }
        result_take(r, out);
        recover_close(r);
    }
    journal_close(journal);
    snapshots_close(&list);
    free(r);
    return err;
}

/* ---- the command -------------------------------------------------------------------------------------------------- */
static void usage(void)
{
    fputs(
        "usage: hwal replay --verify [--instance NAME | --dir DIR] [OPTIONS]\n\n"
        "Run a journal through the core again, from its oldest snapshot, and compare every recorded output, error and\n"
        "hash. A running instance is not disturbed: what its files hold so far is verified.\n\n"
        "  --instance NAME    the instance whose journal it is (default: that of the configuration)\n"
        "  --dir DIR          the directory of journal and snapshots\n"
        "  --config FILE      settings (see `hwal config show`)\n"
        "  --json             one JSON object on stdout\n\n"
        "Exit code: 0 equal; 1 a difference or damage (the first one is named); 2 usage; 3 there is no journal.\n\n"
        "examples:\n"
        "  hwal replay --verify --instance demo\n"
        "  hwal replay --verify --dir ~/.local/state/hwal/demo --json | jq .equal\n",
        stdout);
}

static json_t *hash_json(uint64_t hash)
{
    return json_sprintf("%016" PRIx64, hash);
}

static void print_json(const char *dir, const verify_result_t *v)
{
    json_t *snapshots = json_array();
    for (uint32_t i = 0; i < v->snapshot_count; i++) {
        const verify_snapshot_t *s = &v->snapshots[i];
        json_array_append_new(snapshots, json_pack("{s:I, s:b, s:b}", "sequence", (json_int_t)s->sequence, "checked",
                                                   s->checked, "equal", s->equal));
    }
    json_t *diff = v->diff.found ? json_pack("{s:I, s:I, s:s, s:o}", "sequence", (json_int_t)v->diff.sequence, "record",
                                             (json_int_t)v->diff.number, "field", v->diff.field, "text",
                                             command_text(v->diff.text))
                                 : json_null();
    json_t *object = json_pack(
        "{s:s, s:o, s:b, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:f, s:o, s:o, s:o}", "command",
        "replay --verify", "dir", command_text(dir), "equal", v->equal, "session", hash_json(v->session), "inputs",
        (json_int_t)v->inputs, "outputs", (json_int_t)v->outputs, "lives", (json_int_t)v->lives, "first_sequence",
        (json_int_t)v->first_sequence, "last_sequence", (json_int_t)v->last_sequence, "last_record",
        (json_int_t)v->last_record, "output_hash", hash_json(v->output_hash), "state_hash", hash_json(v->state_hash),
        "seconds", v->seconds, "snapshots", snapshots, "difference", diff, "note", command_text(v->note));
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    fputc('\n', stdout);
    json_decref(object);
}

static void print_text(const char *dir, const verify_result_t *v)
{
    printf("journal      %s, session %016" PRIx64 "\n", dir, v->session);
    printf("inputs       %" PRIu64 " (sequence %" PRIu64 " to %" PRIu64 "), %" PRIu64 " lives\n", v->inputs,
           v->first_sequence, v->last_sequence, v->lives);
    printf("outputs      %" PRIu64 " journaled, last record %" PRIu64 "\n", v->outputs, v->last_record);
    printf("output hash  %016" PRIx64 "\nstate hash   %016" PRIx64 "\n", v->output_hash, v->state_hash);
    printf("speed        %.0f inputs/s, %.3f s\n", v->seconds > 0 ? (double)v->inputs / v->seconds : 0.0, v->seconds);
    for (uint32_t i = 0; i < v->snapshot_count; i++) {
        const verify_snapshot_t *s = &v->snapshots[i];
        printf("snapshot     %" PRIu64 " %s\n", s->sequence,
               !s->checked ? "not reached" : (s->equal ? "equal" : "DIFFERENT"));
    }
    if (v->note[0]) {
        printf("note         %s\n", v->note);
    }
    if (v->diff.found) {
        printf("DIFFERENT    sequence %" PRIu64 ", record %" PRIu64 ", %s: %s\n", v->diff.sequence, v->diff.number,
               v->diff.field, v->diff.text);
    } else {
        puts(v->equal ? "equal" : "NOT EQUAL");
    }
}

bool verify_asked(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--verify") == 0) {
            return true;
        }
    }
    return false;
}

/* Where the journal of an instance is: as its supervisor says, who may have been started with another configuration;
 * else by configuration. */
static err_t dir_of(const char *config_file, const char *instance, char *out, size_t cap)
{
    static attach_t a;
    config_t       *config;
    if (instance && !config_file && attach_open(&a, instance, getuid()) == ERR_OK) {
        const bool known = a.table && a.table->journal_dir[0];
        if (known) {
            snprintf(out, cap, "%.*s", (int)sizeof a.table->journal_dir, a.table->journal_dir);
        }
        attach_close(&a);
        if (known) {
            return ERR_OK;
        }
    }
    const err_t err = config_load(config_file, &config);
    if (err) {
        return err;
    }
    if (instance) {
        config->instance = instance;
    }
    const err_t where = config_state_dir(config, out, cap);
    config_free(config);
    return where;
}

int verify_command(int argc, char **argv)
{
    enum { OPT_VERIFY = 256, OPT_INSTANCE, OPT_DIR, OPT_CONFIG, OPT_JSON };
    static const struct option list[]   = {{"verify", no_argument, NULL, OPT_VERIFY},
                                           {"instance", required_argument, NULL, OPT_INSTANCE},
                                           {"dir", required_argument, NULL, OPT_DIR},
                                           {"config", required_argument, NULL, OPT_CONFIG},
                                           {"json", no_argument, NULL, OPT_JSON},
                                           {"help", no_argument, NULL, 'h'},
                                           {NULL, 0, NULL, 0}};
    const char                *instance = NULL, *given = NULL, *config_file = NULL;
    bool                       json = false;
    char                       dir[4096];
    int                        opt;
    static verify_result_t     result;
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "h", list, NULL)) != -1) {
        switch (opt) {
        case OPT_VERIFY: break;
        case OPT_INSTANCE: instance = optarg; break;
        case OPT_DIR: given = optarg; break;
        case OPT_CONFIG: config_file = optarg; break;
        case OPT_JSON: json = true; break;
        case 'h': usage(); return EXIT_OK;
        default: return command_unknown("replay --verify", argv);
        }
    }
    if (optind < argc || (instance && given)) {
        return command_error("replay --verify", EXIT_USAGE,
                             optind < argc ? "takes no files" : "--instance and --dir name the same thing: give one");
    }
    if (!given && dir_of(config_file, instance, dir, sizeof dir) != ERR_OK) {
        return command_error("replay --verify", EXIT_USAGE, "%s", err_msg());
    }
    const char *where = given ? given : dir;
    const err_t err   = verify_dir(where, &result);
    if (err) {
        return command_error("replay --verify", err == ERR_NOT_FOUND ? EXIT_NOT_RUNNING : EXIT_FINDING, "%s",
                             err_msg());
    }
    if (json) {
        print_json(where, &result);
    } else {
        print_text(where, &result);
    }
    return result.equal ? EXIT_OK : EXIT_FINDING;
}
