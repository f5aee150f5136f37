/* hwal audit, as a person calls it, on a journal that the test writes.
 *
 * Checked   every AUDIT is shown once, with the reason of the input behind which it lies, and of no other input;
 *           what a person wrote as reason reaches neither the terminal nor the file as a control byte;
 *           export and verify agree, also of an empty journal and where the journal went on since;
 *           every kind of damage to an export is found and its line named: a flip of any bit of any line, a line lost at
 *           the beginning, in the middle, doubled, moved, added, cut, a zero byte; a chain made anew over changed lines
 *           is found by the journal beside it; a shorter export says how much is missing;
 *           a damaged journal is never exported as a whole one; no journal: exit 3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/risk/risk.h"
#include "ipc/journal.h"
#include "ipc/message.h"
#include "ipc/record.h"
#include "ipc/sha256.h"
#include "tools/audit.h"
#include "tools/command.h"

#define FILE_BYTES (64u * JOURNAL_BLOCK_BYTES)
#define HASH_TEXT 64u
#define LINES 6u /* of journal_six */
#define EVIL "a \"quoted\" reason,\"hash\":\"\x1b[31mred\n\tand \\ more"

static char folder[] = "/tmp/hwal-audit-XXXXXX";
static char journal[64], file[64], said[64], complained[64];

/* ---- a journal of one file ------------------------------------------------------------------------------------------ */
static _Alignas(4096) uint8_t block_buf[JOURNAL_BLOCK_MAX];

typedef struct writer {
    journal_pos_t   pos;
    journal_block_t block;
    uint64_t        audits, sequence;
    int             fd;
} writer_t;

static void journal_begin(writer_t *w)
{
    const journal_id_t id = {.session = 77, .config_hash = 1, .core_version = 4};
    uint8_t            head[JOURNAL_BLOCK_BYTES];
    char               path[128];
    *w = (writer_t){0};
    snprintf(path, sizeof path, "%s/000001.hj", journal);
    assert_true((w->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0);
    assert_int_equal(ftruncate(w->fd, FILE_BYTES), 0);
    journal_pos_first(&w->pos, &id);
    journal_file_head(head, &(journal_file_t){.id = id, .pos = w->pos, .bytes = FILE_BYTES, .epoch = 1});
    assert_int_equal(pwrite(w->fd, head, sizeof head, 0), sizeof head);
    journal_block_begin(&w->block, block_buf, &w->pos);
}

static void put(writer_t *w, const msg_t *msg, record_kind_t kind, uint32_t outputs)
{
    _Alignas(8) uint8_t buf[RECORD_BYTES_MAX] = {0};
    size_t              len                   = 0;
    const record_head_t head                  = {.kind = (uint8_t)kind, .outputs = outputs};
    const now_t         now = {.mono_ns = (int64_t)w->sequence, .utc_ns = 1700000000000000000 + (int64_t)w->sequence};
    assert_int_equal(message_write(msg, record_message(buf), MESSAGE_BYTES_MAX, &len), ERR_OK);
    const uint32_t bytes = record_seal(buf, msg->type, (uint32_t)len, w->sequence, now, &head);
    assert_int_equal(journal_block_add(&w->block, buf, bytes), ERR_OK);
}

static void put_audit(writer_t *w, audit_t a)
{
    a.audit_seq = ++w->audits;
    a.event_seq = w->sequence;
    a.utc_ns    = 1700000000000000000 + (int64_t)w->sequence;
    put(w, &(msg_t){.type = MSG_AUDIT, .body = &a}, RECORD_OUTPUT, 0);
}

static void put_input(writer_t *w, const msg_t *msg, uint32_t outputs)
{
    w->sequence++;
    put(w, msg, RECORD_INPUT, outputs);
}

static void journal_seal(writer_t *w)
{
    const uint64_t at    = w->pos.offset;
    const uint32_t bytes = journal_block_seal(&w->block, &w->pos, 0);
    assert_int_equal(pwrite(w->fd, block_buf, bytes, (off_t)at), bytes);
    journal_block_begin(&w->block, block_buf, &w->pos);
}

/* A change of two limits, an operation without audits, a control, a refusal, an override that ends by time, an alert. */
static void journal_six(writer_t *w)
{
    const limit_change_t commit = {.change_id = 9, .step = LIMIT_STEP_COMMIT};
    const operate_t      op     = {.kind = CONTROL_KILL};
    const tick_t         tick   = {0};
    const uint16_t       gross = RISK_FIELD_max_gross, net = RISK_FIELD_max_net;
    put_input(w, &(msg_t){.type = MSG_LIMIT_CHANGE, .body = &commit, .text = "less until Monday"}, 2);
    put_audit(w,
              (audit_t){.kind = AUDIT_LIMIT, .field = gross, .scope_type = SCOPE_ACCOUNT, .scope_id = 1, .lane_id = 2});
    put_audit(w,
              (audit_t){.kind = AUDIT_LIMIT, .field = net, .scope_type = SCOPE_ACCOUNT, .scope_id = 1, .lane_id = 2});
    put_input(w, &(msg_t){.type = MSG_OPERATE, .body = &op, .text = "said, and nothing came of it"}, 0);
    put_input(w, &(msg_t){.type = MSG_OPERATE, .body = &op, .text = EVIL}, 1);
    put_audit(w, (audit_t){.kind = AUDIT_CONTROL, .field = CONTROL_KILL, .scope_type = SCOPE_GLOBAL, .lane_id = 2});
    put_input(w, &(msg_t){.type = MSG_LIMIT_CHANGE, .body = &commit, .text = "too much"}, 1);
    put_audit(w, (audit_t){.kind = AUDIT_REFUSED, .field = 113, .lane_id = 2});
    journal_seal(w);
    put_input(w, &(msg_t){.type = MSG_TICK, .body = &tick}, 1);
    put_audit(w, (audit_t){.kind = AUDIT_OVERRIDE_ENDED, .field = gross, .scope_type = SCOPE_ACCOUNT, .scope_id = 1});
    put_input(w, &(msg_t){.type = MSG_OPERATE, .body = &op, .text = "seen"}, 1);
    put_audit(w, (audit_t){.kind = AUDIT_ALERT, .field = ALARM_FEED, .change_id = 7, .lane_id = 2});
    journal_seal(w);
}

/* ---- the command ----------------------------------------------------------------------------------------------------- */
static char *slurp(const char *path, size_t *len)
{
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    *len       = fread(text, 1, (1 << 20) - 1, f);
    fclose(f);
    return text;
}

static bool holds(const char *path, const char *what)
{
    size_t     len;
    char      *text  = slurp(path, &len);
    const bool found = strstr(text, what) != NULL;
    if (!found) {
        print_message("no \"%s\" in: %s\n", what, text);
    }
    free(text);
    return found;
}

/* `hwal audit --dir JOURNAL A B` in a process of its own; what it says is in the files said and complained. */
static int run(const char *a, const char *b)
{
    const pid_t pid = fork();
    if (pid == 0) {
        char  name[] = "audit", dir[] = "--dir";
        char *argv[] = {name, dir, journal, (char *)(uintptr_t)a, (char *)(uintptr_t)b, NULL};
        if (!freopen(said, "w", stdout) || !freopen(complained, "w", stderr)) {
            _exit(99);
        }
        optind       = 0;
        const int rc = command_audit(a ? b ? 5 : 4 : 3, argv);
        fflush(stdout);
        fflush(stderr);
        _exit(rc);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void write_file(const char *bytes, size_t len)
{
    FILE *f = fopen(file, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    fclose(f);
}

/* The export with its bytes replaced is refused, and says so of that line. */
static void refused(const char *bytes, size_t len, unsigned line, const char *what)
{
    char place[32];
    write_file(bytes, len);
    assert_int_equal(run("--verify", file), EXIT_FINDING);
    snprintf(place, sizeof place, "line %u", line);
    assert_true(holds(complained, place));
    assert_true(holds(complained, what));
}

static size_t line_at(const char *text, unsigned line) /* offset of line, from 1 */
{
    const char *at = text;
    while (--line > 0) {
        at = strchr(at, '\n') + 1;
    }
    return (size_t)(at - text);
}

static void empty_journal(void)
{
    char command[160];
    snprintf(command, sizeof command, "%s/000001.hj", journal);
    unlink(command);
}

static char *exported(size_t *len)
{
    assert_int_equal(run("--export", file), EXIT_OK);
    return slurp(file, len);
}

static int fresh(void **state)
{
    static writer_t w;
    empty_journal();
    journal_begin(&w);
    journal_six(&w);
    *state = &w;
    return 0;
}

static int fresh_end(void **state)
{
    close(((writer_t *)*state)->fd);
    return 0;
}

/* ---- tests ----------------------------------------------------------------------------------------------------------- */
static void test_shown(void **state)
{
    (void)state;
    static const char *const reasons[LINES] = {"less until Monday", "less until Monday", NULL, "too much", "", "seen"};
    static const char *const fields[LINES]  = {"max_gross", "max_net", "KILL", "DUP_CLORDID", "max_gross", "FEED"};
    assert_int_equal(run("--json", NULL), EXIT_OK);
    json_t *all  = json_load_file(said, 0, NULL);
    json_t *rows = json_object_get(all, "audits");
    assert_int_equal(json_array_size(rows), LINES);
    for (unsigned i = 0; i < LINES; i++) {
        const json_t *row    = json_array_get(rows, i);
        const char   *reason = json_string_value(json_object_get(row, "reason"));
        assert_int_equal(json_integer_value(json_object_get(row, "audit_seq")), i + 1);
        assert_non_null(reason);
        if (reasons[i]) {
            assert_string_equal(reason, reasons[i]);
        }
        if (i != 3) {
            assert_string_equal(json_string_value(json_object_get(row, "field")), fields[i]);
        }
    }
    json_decref(all);
    assert_int_equal(run("--csv", NULL), EXIT_OK);
    assert_true(holds(said, "OVERRIDE_ENDED"));
    assert_int_equal(run(NULL, NULL), EXIT_OK);
    assert_true(holds(said, "less until Monday"));
}

static void test_reason_is_no_terminal_sequence(void **state)
{
    (void)state;
    static const char *const forms[] = {NULL, "--json"};
    for (unsigned f = 0; f < 2; f++) {
        size_t len;
        assert_int_equal(run(forms[f], NULL), EXIT_OK);
        char *text = slurp(said, &len);
        assert_null(memchr(text, 0x1b, len));
        assert_null(memchr(text, '\t', len));
        free(text);
    }
    size_t len;
    char  *text  = exported(&len);
    size_t lines = 0;
    for (size_t i = 0; i < len; i++) {
        lines += text[i] == '\n';
        assert_true(text[i] == '\n' || (uint8_t)text[i] >= 0x20);
    }
    assert_int_equal(lines, LINES);
    free(text);
}

static void test_export_verifies(void **state)
{
    writer_t *w = *state;
    size_t    len;
    free(exported(&len));
    assert_true(holds(said, "6 audits"));
    assert_int_equal(run("--verify", file), EXIT_OK);
    assert_true(holds(said, "0 more"));
    const operate_t op = {.kind = CONTROL_KILL}; /* the journal goes on */
    put_input(w, &(msg_t){.type = MSG_OPERATE, .body = &op, .text = "later"}, 1);
    put_audit(w, (audit_t){.kind = AUDIT_CONTROL, .field = CONTROL_KILL, .lane_id = 2});
    journal_seal(w);
    assert_int_equal(run("--verify", file), EXIT_OK);
    assert_true(holds(said, "1 more"));
    empty_journal(); /* and is gone: what the file alone can say */
    assert_int_equal(run("--verify", file), EXIT_OK);
    assert_true(holds(said, "no journal"));
    assert_int_equal(run("--json", NULL), EXIT_NOT_RUNNING);
    assert_int_equal(run("--export", file), EXIT_NOT_RUNNING);
}

static void test_empty(void **state)
{
    static writer_t w;
    (void)state;
    const tick_t tick = {0};
    empty_journal();
    journal_begin(&w);
    put_input(&w, &(msg_t){.type = MSG_TICK, .body = &tick}, 0);
    journal_seal(&w);
    close(w.fd);
    size_t len;
    free(exported(&len));
    assert_int_equal(len, 0);
    assert_int_equal(run("--verify", file), EXIT_OK);
}

static void test_every_byte(void **state)
{
    (void)state;
    size_t         len;
    char          *text = exported(&len);
    const size_t   step = getenv("HWAL_QUICK") ? 61 : 7;
    const unsigned bits = getenv("HWAL_QUICK") ? 1 : 3;
    for (size_t i = 0; i < len; i += step) {
        for (unsigned b = 0; b < bits; b++) {
            const char mask = (char)(1 << ((i + 3 * b) % 8));
            unsigned   line = 1;
            for (size_t j = 0; j < i; j++) {
                line += text[j] == '\n';
            }
            char place[32];
            text[i] ^= mask;
            write_file(text, len);
            text[i] ^= mask;
            assert_int_equal(run("--verify", file), EXIT_FINDING);
            snprintf(place, sizeof place, "line %u", line);
            assert_true(holds(complained, place));
        }
    }
    free(text);
}

static void test_lines_lost_and_moved(void **state)
{
    (void)state;
    size_t       len;
    char        *text = exported(&len), *other = calloc(1, 2 * len + 8);
    const size_t second = line_at(text, 2), third = line_at(text, 3), fourth = line_at(text, 4),
                 last = line_at(text, LINES);
    refused(text + second, len - second, 1, "lost, added or moved"); /* the first one is gone */
    memcpy(other, text, second);                                     /* one in the middle */
    memcpy(other + second, text + third, len - third);
    refused(other, len - (third - second), 2, "lost, added or moved");
    memcpy(other, text, third); /* doubled */
    memcpy(other + third, text + second, len - second);
    refused(other, len + third - second, 3, "lost, added or moved");
    memcpy(other, text, second); /* two changed places */
    memcpy(other + second, text + third, fourth - third);
    memcpy(other + second + fourth - third, text + second, third - second);
    memcpy(other + fourth, text + fourth, len - fourth);
    refused(other, len, 2, "lost, added or moved");
    refused(text, len - 1, LINES, "cut"); /* the last end of line */
    refused(text, last + 20, LINES, "cut");
    memcpy(other, text, len); /* a line that is none */
    memcpy(other + len, "{}\n", 3);
    refused(other, len + 3, LINES + 1, "no hash");
    memcpy(other, text, len);
    other[third + 5] = '\0';
    refused(other, len, 3, "zero byte");
    write_file(text, last); /* the last line is gone: the chain cannot know, the journal does */
    assert_int_equal(run("--verify", file), EXIT_OK);
    assert_true(holds(said, "1 more"));
    free(other);
    free(text);
}

/* Whoever changes a line may make all hashes anew: then only the journal knows. */
static void test_forged(void **state)
{
    (void)state;
    size_t len;
    char  *text = exported(&len), prev[HASH_TEXT + 1];
    FILE  *f    = fopen(file, "we");
    memset(prev, '0', HASH_TEXT);
    prev[HASH_TEXT] = '\0';
    char *at        = text;
    for (unsigned line = 1; line <= LINES; line++) {
        uint8_t raw[SHA256_BYTES];
        char   *end = strchr(at, '\n'), *hash = NULL;
        *end = '\0';
        if (line == 2) {
            char *who = strstr(at, "less until Monday");
            memcpy(who, "more", 4);
        }
        memcpy(strstr(at, "\"prev\":\"") + 8, prev, HASH_TEXT);
        for (char *p = at; (p = strstr(p, ",\"hash\":\"")); p++) {
            hash = p;
        }
        sha256_t *sha = sha256_begin();
        sha256_add(sha, at, (size_t)(hash - at));
        sha256_end(sha, raw);
        for (size_t i = 0; i < SHA256_BYTES; i++) {
            snprintf(prev + 2 * i, 3, "%02x", raw[i]);
        }
        fprintf(f, "%.*s,\"hash\":\"%s\"}\n", (int)(hash - at), at, prev);
        at = end + 1;
    }
    fclose(f);
    assert_int_equal(run("--verify", file), EXIT_FINDING);
    assert_true(holds(complained, "line 2 is not what the journal says of audit 2"));
    empty_journal();
    assert_int_equal(run("--verify", file), EXIT_OK);
    assert_true(holds(said, "no journal"));
    free(text);
}

/* An export of another, longer journal: more lines than this one has. */
static void test_longer_than_the_journal(void **state)
{
    static writer_t w;
    (void)state;
    size_t len;
    free(exported(&len));
    const limit_change_t commit = {.change_id = 9, .step = LIMIT_STEP_COMMIT};
    empty_journal();
    journal_begin(&w);
    put_input(&w, &(msg_t){.type = MSG_LIMIT_CHANGE, .body = &commit, .text = "less until Monday"}, 1);
    put_audit(&w, (audit_t){.kind       = AUDIT_LIMIT,
                            .field      = RISK_FIELD_max_gross,
                            .scope_type = SCOPE_ACCOUNT,
                            .scope_id   = 1,
                            .lane_id    = 2});
    journal_seal(&w);
    close(w.fd);
    assert_int_equal(run("--verify", file), EXIT_FINDING);
    assert_true(holds(complained, "6 audits, the journal in"));
    assert_true(holds(complained, "has 1"));
}

static void test_damaged_journal(void **state)
{
    writer_t *w = *state;
    uint8_t   byte;
    size_t    len;
    free(exported(&len));
    const off_t at = JOURNAL_BLOCK_BYTES + JOURNAL_BLOCK_HEAD + 200;
    journal_block_begin(&w->block, block_buf, &w->pos); /* a later block that calls everything before durable */
    const uint64_t offset = w->pos.offset;
    const uint32_t bytes  = journal_block_seal(&w->block, &w->pos, w->pos.record);
    assert_int_equal(pwrite(w->fd, block_buf, bytes, (off_t)offset), bytes);
    assert_int_equal(run("--verify", file), EXIT_OK);
    assert_int_equal(pread(w->fd, &byte, 1, at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(w->fd, &byte, 1, at), 1);
    assert_int_equal(run("--verify", file), EXIT_FINDING);
    assert_int_equal(run("--export", file), EXIT_FINDING);
    assert_int_equal(run("--json", NULL), EXIT_FINDING);
    assert_true(holds(complained, "000001.hj"));
}

static void test_usage(void **state)
{
    (void)state;
    assert_int_equal(run("--export", NULL), EXIT_USAGE);
    assert_int_equal(run("--no-such", NULL), EXIT_USAGE);
    assert_int_equal(run("word", NULL), EXIT_USAGE);
    assert_int_equal(run("--help", NULL), EXIT_OK);
    assert_true(holds(said, "examples:"));
    assert_int_equal(run("--verify", "/no/such/file"), EXIT_FINDING);
    assert_true(holds(complained, "/no/such/file"));
    assert_int_equal(run("--export", "/no/such/file"), EXIT_FINDING);
}

static int folder_make(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(journal, sizeof journal, "%s/journal", folder);
    snprintf(file, sizeof file, "%s/export", folder);
    snprintf(said, sizeof said, "%s/out", folder);
    snprintf(complained, sizeof complained, "%s/err", folder);
    return mkdir(journal, 0700);
}

static int folder_remove(void **state)
{
    (void)state;
    empty_journal();
    unlink(file);
    unlink(said);
    unlink(complained);
    rmdir(journal);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shown, fresh, fresh_end),
        cmocka_unit_test_setup_teardown(test_reason_is_no_terminal_sequence, fresh, fresh_end),
        cmocka_unit_test_setup_teardown(test_export_verifies, fresh, fresh_end),
        cmocka_unit_test_setup_teardown(test_empty, fresh, fresh_end),
        cmocka_unit_test_setup_teardown(test_every_byte, fresh, fresh_end),
        cmocka_unit_test_setup_teardown(test_lines_lost_and_moved, fresh, fresh_end),
        cmocka_unit_test_setup_teardown(test_forged, fresh, fresh_end),
        cmocka_unit_test_setup_teardown(test_longer_than_the_journal, fresh, fresh_end),
        cmocka_unit_test_setup_teardown(test_damaged_journal, fresh, fresh_end),
        cmocka_unit_test_setup_teardown(test_usage, fresh, fresh_end),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
