#include "tools/audit.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/risk/risk.h"
#include "core/types/decimal.h"
#include "ipc/journal.h"
#include "ipc/sha256.h"
#include "tools/command.h"
#include "tools/config.h"
#include "tools/describe.h"
#include "tools/table.h"

#define LINE_MAX_BYTES 4096u
#define HASH_TEXT (2 * SHA256_BYTES)

/* ---- reading ------------------------------------------------------------------------------------------------------- */
err_t audit_walk(const char *dir, audit_each_t each, void *ctx)
{
    char              reason[REASON_MAX + 1] = "";
    journal_reader_t *reader                 = NULL;
    journal_entry_t   e;
    err_t             err = journal_open_dir(dir, NULL, &reader);
    while (err == ERR_OK && (err = journal_next(reader, &e)) == ERR_OK) {
        const msg_t *msg = &e.record.msg;
        if (e.record.head.kind == RECORD_INPUT) {
            const bool said = msg->type == MSG_LIMIT_CHANGE || msg->type == MSG_OPERATE;
            snprintf(reason, sizeof reason, "%s", said && msg->text ? msg->text : "");
        } else if (msg->type == MSG_AUDIT) {
            err = each(ctx, &(audit_entry_t){.audit = *(const audit_t *)msg->body, .reason = reason});
        }
    }
    journal_close(reader);
    return err == ERR_END ? ERR_OK : err;
}

const char *audit_kind_str(uint8_t kind)
{
    static const char *const names[AUDIT_KIND_COUNT] = {
        "NONE",    "LIMIT", "OVERRIDE_ASKED", "OVERRIDE_APPROVED", "OVERRIDE_ENDED", "REFUSED",
        "CONTROL", "ALERT", "VALUE"};
    return kind < AUDIT_KIND_COUNT ? names[kind] : "UNKNOWN";
}

const char *audit_user(uint32_t user_id, char out[64])
{
    const struct passwd *who = getpwuid((uid_t)user_id);
    if (who) {
        snprintf(out, 64, "%s", who->pw_name);
    } else {
        snprintf(out, 64, "%" PRIu32, user_id);
    }
    return out;
}

const char *audit_refusal(const audit_t *a)
{
    return risk_code_str(a->field)[0] == '?' ? err_str((err_t)a->field) : risk_code_str(a->field);
}

static const char *scope_str(uint8_t scope)
{
    static const char *const names[SCOPE_COUNT] = {"NONE",
                                                   "GLOBAL",
                                                   "TENANT",
                                                   "ACCOUNT",
                                                   "STRATEGY",
                                                   "INSTRUMENT",
                                                   "VENUE",
                                                   "ACCOUNT_INSTRUMENT",
                                                   "STRATEGY_INSTRUMENT",
                                                   "ACCOUNT_VENUE",
                                                   "TENANT_INSTRUMENT"};
    return scope < SCOPE_COUNT ? names[scope] : "UNKNOWN";
}

static const char *control_str(uint16_t kind)
{
    static const char *const names[CONTROL_KIND_COUNT] = {
        "NONE",  "KILL",        "SESSION",   "REDUCE_ONLY", "RECOVERING", "UNRECONCILED", "VENUE_LINK", "JOURNAL",
        "CLOCK", "CLEAR_LATCH", "RING_FULL", "FLATTEN",     "ENABLE",     "SETTLE",       "ALERT_ACK"};
    return kind < CONTROL_KIND_COUNT ? names[kind] : "UNKNOWN";
}

/* What field means, by kind. */
static json_t *field_json(const audit_t *a)
{
    switch ((audit_kind_t)a->kind) {
    case AUDIT_LIMIT:
    case AUDIT_OVERRIDE_ASKED:
    case AUDIT_OVERRIDE_APPROVED:
    case AUDIT_OVERRIDE_ENDED: return json_string(risk_field_name(a->field));
    case AUDIT_CONTROL: return json_string(control_str(a->field));
    case AUDIT_ALERT: return json_string(alarm_kind_str((alarm_kind_t)a->field));
    case AUDIT_REFUSED: return json_string(audit_refusal(a));
    default: return json_integer(a->field);
    }
}

json_t *audit_json(const audit_entry_t *entry)
{
    const audit_t *a = &entry->audit;
    char           text[64];
    json_t        *o = json_object();
    json_object_set_new(o, "audit_seq", table_u64(a->audit_seq));
    describe_time(a->utc_ns, text);
    json_object_set_new(o, "utc", json_string(text));
    json_object_set_new(o, "kind", json_string(audit_kind_str(a->kind)));
    json_object_set_new(o, "scope", json_string(scope_str(a->scope_type)));
    json_object_set_new(o, "scope_id", table_u64(a->scope_id));
    json_object_set_new(o, "scope_id2", table_u64(a->scope_id2));
    json_object_set_new(o, "field", field_json(a));
    json_object_set_new(o, "old_value", json_integer(a->old_value));
    json_object_set_new(o, "new_value", json_integer(a->new_value));
    json_object_set_new(o, "user",
                        a->lane_id ? command_text(audit_user(a->user_id, text)) : json_string("configuration"));
    json_object_set_new(o, "user_id", table_u64(a->user_id));
    json_object_set_new(o, "lane_id", table_u64(a->lane_id));
    json_object_set_new(o, "version", table_u64(a->version));
    json_object_set_new(o, "change_id", table_u64(a->change_id));
    json_object_set_new(o, "event_seq", table_u64(a->event_seq));
    json_object_set_new(o, "reason", command_text(entry->reason));
    return o;
}

/* ---- the chain ------------------------------------------------------------------------------------------------------ */
static void hash_text(const char *bytes, size_t len, char out[HASH_TEXT + 1])
{
    uint8_t   raw[SHA256_BYTES];
    sha256_t *sha = sha256_begin();
    sha256_add(sha, bytes, len);
    sha256_end(sha, raw);
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        snprintf(out + 2 * i, 3, "%02x", raw[i]);
    }
}

typedef struct chain {
    FILE    *to;
    char     prev[HASH_TEXT + 1];
    uint64_t count;
} chain_t;

static void chain_begin(chain_t *c)
{
    memset(c->prev, '0', HASH_TEXT);
    c->prev[HASH_TEXT] = '\0';
    c->count           = 0;
}

/* The line of an entry, with its hash, which becomes prev. */
static err_t chain_line(chain_t *c, const audit_entry_t *entry, char out[LINE_MAX_BYTES])
{
    json_t *o = audit_json(entry);
    json_object_set_new(o, "prev", json_string(c->prev));
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    const size_t len = text ? strlen(text) : 0;
    if (len < 2 || len + HASH_TEXT + 16 > LINE_MAX_BYTES) {
        free(text);
        return err_set(ERR_LIMIT, "audit %" PRIu64 ": a line of %zu bytes, limit %u", entry->audit.audit_seq, len,
                       LINE_MAX_BYTES);
    }
    hash_text(text, len - 1, c->prev); /* without the closing brace */
    snprintf(out, LINE_MAX_BYTES, "%.*s,\"hash\":\"%s\"}", (int)(len - 1), text, c->prev);
    free(text);
    c->count++;
    return ERR_OK;
}

static err_t export_each(void *ctx, const audit_entry_t *entry)
{
    chain_t    *c = ctx;
    char        line[LINE_MAX_BYTES];
    const err_t err = chain_line(c, entry, line);
    if (err) {
        return err;
    }
    return fprintf(c->to, "%s\n", line) > 0 ? ERR_OK : err_set(ERR_IO, "export: the file could not be written");
}

/* One line of an export against the chain so far: NULL, or what is wrong with it. */
static const char *line_fault(chain_t *c, char *line, size_t len)
{
    char        hash[HASH_TEXT + 1], want[HASH_TEXT + 32];
    const char *at = strstr(line, ",\"hash\":\"");
    if (!at || len < (size_t)(at - line) + 9 + HASH_TEXT + 2 || strcmp(at + 9 + HASH_TEXT, "\"}") != 0) {
        return "it has no hash at its end";
    }
    snprintf(want, sizeof want, "\"prev\":\"%s\",\"hash\"", c->prev);
    if (!strstr(line, want)) {
        return "prev is not the hash of the line before: a line was lost, added or moved";
    }
    hash_text(line, (size_t)(at - line), hash);
    if (strncmp(hash, at + 9, HASH_TEXT) != 0) {
        return "its hash is not that of its bytes: it was changed";
    }
    memcpy(c->prev, hash, sizeof hash);
    c->count++;
    return NULL;
}

typedef struct compare {
    chain_t  chain;
    FILE    *file;
    char    *line;
    size_t   cap;
    uint64_t more; /* in the journal behind the end of the file */
} compare_t;

static err_t compare_each(void *ctx, const audit_entry_t *entry)
{
    compare_t  *k = ctx;
    char        line[LINE_MAX_BYTES];
    const err_t err = chain_line(&k->chain, entry, line);
    if (err) {
        return err;
    }
    const ssize_t len = getline(&k->line, &k->cap, k->file);
    if (len < 0) {
        k->more++;
        return ERR_OK;
    }
    k->line[strcspn(k->line, "\n")] = '\0';
    return strcmp(k->line, line) == 0
               ? ERR_OK
               : err_set(ERR_STATE, "line %" PRIu64 " is not what the journal says of audit %" PRIu64, k->chain.count,
                         entry->audit.audit_seq);
}

/* ---- the command ---------------------------------------------------------------------------------------------------- */
typedef struct audit_options {
    const char *instance, *config, *dir, *export_to, *verify;
    bool        json, csv;
} audit_options_t;

static int usage(FILE *to)
{
    fputs("usage: hwal audit [OPTIONS]\n"
          "       hwal audit --export FILE | --verify FILE\n\n"
          "Who changed what: limits, overrides, controls, alerts that were acknowledged, each with its reason, from "
          "the journal\n"
          "(which is chained by SHA-256 itself: hwal journal verify). --export writes JSON lines that carry a chain of "
          "their own;\n"
          "--verify checks such a file, and against the journal where there is one. Values are whole numbers in the "
          "scale of\n"
          "their limit, as the journal has them; hwal limits history shows those of limits as decimals.\n\n"
          "  --instance NAME   whose journal (default: HWAL_INSTANCE, else \"default\")\n"
          "  --config FILE     the instance and journal.dir of this configuration\n"
          "  --dir DIR         the journal in this directory\n"
          "  --json, --csv     for programs\n\n"
          "exit codes: 0 fine, 1 damaged or different (the line is named), 2 usage, 3 no journal there\n\n"
          "examples:\n"
          "  hwal audit --instance demo\n"
          "  hwal audit --export audit.jsonl && hwal audit --verify audit.jsonl\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

static err_t collect_each(void *ctx, const audit_entry_t *entry)
{
    json_array_append_new(ctx, audit_json(entry));
    return ERR_OK;
}

static int show(const audit_options_t *o, const char *dir)
{
    static const column_t columns[] = {{"audit_seq", "audit", COLUMN_NUMBER}, {"utc", "utc", COLUMN_TEXT},
                                       {"user", "user", COLUMN_TEXT},         {"kind", "kind", COLUMN_TEXT},
                                       {"scope", "scope", COLUMN_TEXT},       {"scope_id", "id", COLUMN_NUMBER},
                                       {"scope_id2", "id2", COLUMN_NUMBER},   {"field", "field", COLUMN_TEXT},
                                       {"old_value", "old", COLUMN_NUMBER},   {"new_value", "new", COLUMN_NUMBER},
                                       {"version", "version", COLUMN_NUMBER}, {"change_id", "change", COLUMN_NUMBER},
                                       {"reason", "reason", COLUMN_TEXT}};
    json_t               *rows      = json_array();
    const err_t           err       = audit_walk(dir, collect_each, rows);
    int                   rc        = err == ERR_OK ? EXIT_OK : err == ERR_NOT_FOUND ? EXIT_NOT_RUNNING : EXIT_FINDING;
    if (err != ERR_OK) {
        command_error("audit", rc, "%s", err_msg());
    } else if (o->json) {
        json_t *all = json_object();
        json_object_set(all, "audits", rows);
        table_json(stdout, all);
        json_decref(all);
    } else if (o->csv) {
        table_csv(stdout, columns, sizeof columns / sizeof columns[0], rows);
    } else {
        table_text(stdout, columns, sizeof columns / sizeof columns[0], rows, command_colour(stdout));
    }
    json_decref(rows);
    return rc;
}

static int export_file(const char *dir, const char *path)
{
    chain_t c;
    chain_begin(&c);
    c.to = fopen(path, "we");
    if (!c.to) {
        return command_error("audit", EXIT_FINDING, "%s: %s", path, strerror(errno));
    }
    const err_t err    = audit_walk(dir, export_each, &c);
    const bool  closed = fclose(c.to) == 0;
    if (err != ERR_OK) {
        return command_error("audit", err == ERR_NOT_FOUND ? EXIT_NOT_RUNNING : EXIT_FINDING, "%s: %s", dir, err_msg());
    }
    if (!closed) {
        return command_error("audit", EXIT_FINDING, "%s: %s", path, strerror(errno));
    }
    printf("%" PRIu64 " audits in %s, the last hash %s\n", c.count, path, c.prev);
    return EXIT_OK;
}

static int verify_chain(FILE *file, const char *path, chain_t *c)
{
    char   *line = NULL;
    size_t  cap  = 0;
    ssize_t len;
    int     rc = EXIT_OK;
    chain_begin(c);
    while (rc == EXIT_OK && (len = getline(&line, &cap, file)) >= 0) {
        const bool  whole = len > 0 && line[len - 1] == '\n';
        const char *fault = "it was cut";
        if (whole) {
            line[len - 1] = '\0';
            fault = strlen(line) + 1 == (size_t)len ? line_fault(c, line, (size_t)len - 1) : "it has a zero byte";
        }
        if (fault) {
            rc = command_error("audit", EXIT_FINDING, "%s: line %" PRIu64 ": %s", path, c->count + 1, fault);
        }
    }
    free(line);
    return rc;
}

static int verify(const char *dir, const char *path)
{
    compare_t k = {.file = fopen(path, "re")};
    chain_t   c;
    if (!k.file) {
        return command_error("audit", EXIT_FINDING, "%s: %s", path, strerror(errno));
    }
    int rc = verify_chain(k.file, path, &c);
    if (rc == EXIT_OK) {
        rewind(k.file);
        chain_begin(&k.chain);
        const err_t err = audit_walk(dir, compare_each, &k);
        if (err == ERR_NOT_FOUND) {
            printf("%s: %" PRIu64 " audits, the chain holds; no journal in %s to compare with\n", path, c.count, dir);
        } else if (err != ERR_OK) {
            rc = command_error("audit", EXIT_FINDING, "%s: %s", path, err_msg());
        } else if (k.chain.count - k.more < c.count) {
            rc = command_error("audit", EXIT_FINDING, "%s: %" PRIu64 " audits, the journal in %s has %" PRIu64, path,
                               c.count, dir, k.chain.count);
        } else {
            printf("%s: %" PRIu64 " audits, the chain holds, the journal says the same (and %" PRIu64 " more)\n", path,
                   c.count, k.more);
        }
    }
    free(k.line);
    fclose(k.file);
    return rc;
}

static int directory(const audit_options_t *o, char *out, size_t cap)
{
    config_t *config = NULL;
    if (o->dir) {
        snprintf(out, cap, "%s", o->dir);
        return EXIT_OK;
    }
    if (o->instance) {
        setenv("HWAL_INSTANCE", o->instance, 1); /* above the file, and checked like any other setting */
    }
    err_t err = config_load(o->config, &config);
    err       = err == ERR_OK ? config_state_dir(config, out, cap) : err;
    config_free(config);
    return err == ERR_OK ? EXIT_OK : command_error("audit", EXIT_USAGE, "%s", err_msg());
}

int command_audit(int argc, char **argv)
{
    static const struct option options[] = {{"instance", required_argument, NULL, 'i'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"dir", required_argument, NULL, 'd'},
                                            {"export", required_argument, NULL, 'e'},
                                            {"verify", required_argument, NULL, 'v'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"csv", no_argument, NULL, 'C'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    audit_options_t            o         = {0};
    char                       dir[4096];
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (c) {
        case 'i': o.instance = optarg; break;
        case 'c': o.config = optarg; break;
        case 'd': o.dir = optarg; break;
        case 'e': o.export_to = optarg; break;
        case 'v': o.verify = optarg; break;
        case 'j': o.json = true; break;
        case 'C': o.csv = true; break;
        case 'h': return usage(stdout);
        default: return command_unknown("audit", argv);
        }
    }
    if (optind < argc || (o.export_to && o.verify)) {
        return usage(stderr);
    }
    const int rc = directory(&o, dir, sizeof dir);
    if (rc != EXIT_OK) {
        return rc;
    }
    return o.export_to ? export_file(dir, o.export_to) : o.verify ? verify(dir, o.verify) : show(&o, dir);
}
