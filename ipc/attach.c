#include "ipc/attach.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/types/decimal.h"
#include "ipc/role.h"

#define INSTANCES_MAX 64u

bool attach_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    int64_t value;
    if (decimal_parse(text, strlen(text), 0, &value) != ERR_OK || value < min || value > max) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

bool attach_id(const char *text, uint64_t *out)
{
    uint64_t id = 0;
    for (const char *c = text; *c != '\0'; c++) {
        const uint64_t digit = (uint64_t)(*c - '0');
        if (*c < '0' || *c > '9' || __builtin_mul_overflow(id, 10, &id) || __builtin_add_overflow(id, digit, &id)) {
            return false;
        }
    }
    *out = id;
    return id != 0;
}

bool attach_user(const char *text, uid_t *uid)
{
    struct passwd pw, *found = NULL;
    char          room[4096];
    const bool    known = getpwnam_r(text, &pw, room, sizeof room, &found) == 0 && found != NULL;
    if (known) {
        *uid = pw.pw_uid;
    }
    return known || attach_number(text, 0, UINT32_MAX - 1, uid);
}

/* ---- files --------------------------------------------------------------------------------------------------------- */
/* file_name: "engine.7": a role of ours, a dot, a number as we write it. */
static bool file_name(const char *name, attach_file_t *out)
{
    const char *dot = strrchr(name, '.');
    if (!dot || strlen(name) >= sizeof out->name || !attach_number(dot + 1, 1, UINT32_MAX, &out->gen)) {
        return false;
    }
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        out->role = (role_t)r;
        snprintf(out->name, sizeof out->name, "%s.%" PRIu32, topology_role_name((role_t)r), out->gen);
        if (strcmp(out->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static int newest_first(const void *a, const void *b)
{
    const attach_file_t *x = a, *y = b;
    return x->role != y->role ? (x->role < y->role ? -1 : 1) : x->gen != y->gen ? (x->gen > y->gen ? -1 : 1) : 0;
}

uint32_t attach_files(int dir_fd, attach_file_t *out, uint32_t cap)
{
    uint32_t       n   = 0;
    const int      fd  = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR           *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    struct stat    st;
    while (dir && n < cap && (entry = readdir(dir)) != NULL) {
        if (file_name(entry->d_name, &out[n]) && fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode)) {
            out[n].bytes = (uint64_t)st.st_size;
            n++;
        }
    }
    if (dir) {
        closedir(dir);
    } else if (fd >= 0) {
        close(fd);
    }
    qsort(out, n, sizeof out[0], newest_first);
    return n;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

uint32_t attach_instances(uid_t uid, char (*names)[40], uint32_t cap)
{
    char           path[512];
    uint32_t       n = 0;
    struct dirent *entry;
    if (segment_dir_path(uid, "x", path, sizeof path) != ERR_OK) {
        return 0;
    }
    path[strlen(path) - 2] = '\0'; /* the folder of them all */
    DIR *dir               = opendir(path);
    while (dir && n < cap && (entry = readdir(dir)) != NULL) {
        int dir_fd;
        if (entry->d_name[0] != '.' && strlen(entry->d_name) < sizeof names[0] &&
            segment_dir_open(uid, entry->d_name, false, &dir_fd) == ERR_OK) {
            close(dir_fd);
            memcpy(names[n++], entry->d_name, strlen(entry->d_name) + 1); /* its length was checked */
        }
    }
    if (dir) {
        closedir(dir);
    }
    qsort(names, n, sizeof names[0], by_name);
    return n;
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */
static bool believed(attach_t *a, role_t role, const char *name, segment_t *out)
{
    const err_t err    = segment_open(a->dir_fd, name, a->uid, false, out);
    const bool  needed = role == ROLE_SUPERVISOR || role == ROLE_ENGINE; /* an old file of another is no matter */
    if (err != ERR_OK && err != ERR_NOT_FOUND && needed && a->refused[0] == '\0') {
        snprintf(a->refused, sizeof a->refused, "%s", err_msg());
    }
    return err == ERR_OK;
}

/* newest: open the newest segment of a role that can be believed. */
static void newest(attach_t *a, role_t role, const attach_file_t *files, uint32_t count)
{
    for (uint32_t i = 0; i < count && !a->role[role].head; i++) {
        if (files[i].role == role && believed(a, role, files[i].name, &a->role[role])) {
            snprintf(a->file[role], sizeof a->file[role], "%s", files[i].name);
        }
    }
}

/* unnamed: the table does not name this role. A newer segment than the supervisor's own: it is just being started and its
 * row comes next, the segment tells as much; an older one: of an earlier configuration, no part of this instance. */
static void unnamed(attach_t *a, role_t role)
{
    segment_t *seg = &a->role[role];
    if (!a->row_known[role] || a->row[role].status != ROLE_STATUS_NONE || !seg->head) {
        return;
    }
    if (seg->gen > a->role[ROLE_SUPERVISOR].gen) {
        a->row_known[role] = false;
        return;
    }
    segment_close(seg);
    a->file[role][0] = '\0';
}

static void open_roles(attach_t *a, const attach_file_t *files, uint32_t count)
{
    size_t bytes = 0;
    newest(a, ROLE_SUPERVISOR, files, count);
    if (a->role[ROLE_SUPERVISOR].head) {
        a->table = segment_find(&a->role[ROLE_SUPERVISOR], "roles", SEGMENT_ROLES, &bytes);
        a->table = bytes >= sizeof *a->table ? a->table : NULL;
    }
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        role_row_t   *row  = &a->row[r];
        attach_file_t file = {0};
        if (a->table && role_table_read(a->table, (role_t)r, row) == ERR_OK) {
            a->row_known[r]                       = true;
            row->segment[sizeof row->segment - 1] = '\0';
        } else {
            a->damaged += a->table != NULL;
            *row = (role_row_t){0};
        }
        if (r == ROLE_SUPERVISOR) {
            continue;
        }
        if (file_name(row->segment, &file) && file.role == (role_t)r &&
            believed(a, (role_t)r, row->segment, &a->role[r])) {
            snprintf(a->file[r], sizeof a->file[r], "%s", row->segment);
        } else {
            newest(a, (role_t)r, files, count);
        }
        unnamed(a, (role_t)r);
    }
}

void attach_instruments(attach_t *a)
{
    records_reader_t reader;
    attach_message_t m;
    free(a->instruments);
    a->instruments    = NULL;
    a->instrument_max = 0;
    if (!attach_records(a, RECORD_ID_INSTRUMENTS, &reader)) {
        return;
    }
    a->instruments    = calloc(reader.count + 1ull, sizeof *a->instruments);
    a->instrument_max = a->instruments ? reader.count : 0;
    for (uint32_t i = 0; i < a->instrument_max; i++) {
        if (attach_record(a, &reader, i, &m) == ERR_OK && m.msg.type == MSG_INSTRUMENT_DEF) {
            const instrument_def_t *def = m.msg.body;
            if (def->instrument_id == i + 1) {
                a->instruments[i + 1].def = *def;
                snprintf(a->instruments[i + 1].symbol, sizeof a->instruments[0].symbol, "%s", m.msg.text);
            }
        }
    }
}

bool attach_left(const attach_t *a)
{
    return a->role[ROLE_ENGINE].head || a->role[ROLE_SUPERVISOR].head;
}

err_t attach_open(attach_t *a, const char *instance, uid_t uid)
{
    *a = (attach_t){.uid = uid, .dir_fd = -1, .words_segment = {.fd = -1}};
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        a->role[r].fd = -1;
    }
    snprintf(a->instance, sizeof a->instance, "%s", instance);
    const err_t err = segment_dir_open(uid, instance, false, &a->dir_fd);
    if (err != ERR_OK) {
        return err;
    }
    attach_file_t *files = calloc(ATTACH_FILES_MAX, sizeof *files);
    if (!files) {
        close(a->dir_fd);
        return err_set(ERR_IO, "out of memory");
    }
    open_roles(a, files, attach_files(a->dir_fd, files, ATTACH_FILES_MAX));
    free(files);
    size_t bytes = 0;
    if (segment_open(a->dir_fd, "words", uid, false, &a->words_segment) == ERR_OK) {
        a->words = segment_find(&a->words_segment, "words", SEGMENT_WORDS, &bytes);
        a->words = bytes >= sizeof *a->words ? a->words : NULL;
    }
    if (!attach_left(a) && !a->words) {
        attach_close(a);
        return a->refused[0] ? err_set(ERR_PARSE, "%s", a->refused)
                             : err_set(ERR_NOT_FOUND, "it left neither supervisor nor engine: it was stopped");
    }
    attach_instruments(a);
    return ERR_OK;
}

void attach_close(attach_t *a)
{
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        if (a->role[r].head) {
            segment_close(&a->role[r]);
        }
    }
    if (a->words_segment.head) {
        segment_close(&a->words_segment);
    }
    free(a->instruments);
    a->instruments    = NULL;
    a->instrument_max = 0;
    close(a->dir_fd);
    a->dir_fd = -1;
}

err_t attach_engine(attach_t *a, const char *file)
{
    segment_t   other = {.fd = -1};
    const err_t err   = segment_open(a->dir_fd, file, a->uid, false, &other);
    if (err != ERR_OK) {
        return err;
    }
    if (a->role[ROLE_ENGINE].head) {
        segment_close(&a->role[ROLE_ENGINE]);
    }
    a->role[ROLE_ENGINE]      = other;
    a->row_known[ROLE_ENGINE] = false;
    a->row[ROLE_ENGINE]       = (role_row_t){0};
    snprintf(a->file[ROLE_ENGINE], sizeof a->file[ROLE_ENGINE], "%s", file);
    attach_instruments(a);
    return ERR_OK;
}

/* lives: does its engine beat? left: has it anything to look at? */
static bool lives(const char *instance, uid_t uid, bool words_do, bool *left)
{
    attach_t   other;
    const bool there = attach_open(&other, instance, uid) == ERR_OK;
    const bool beats = there && !attach_stale(&other);
    *left            = there && (attach_left(&other) || words_do);
    if (there) {
        attach_close(&other);
    }
    return beats;
}

void attach_which(uid_t uid, const char *named, bool words_do, char out[40], char *list, size_t cap)
{
    char           names[INSTANCES_MAX][40];
    const uint32_t count = attach_instances(uid, names, INSTANCES_MAX);
    uint32_t       alive = 0, dead = 0, one_alive = 0, one_dead = 0;
    size_t         n = 0;
    list[0]          = '\0';
    for (uint32_t i = 0; i < count && n < cap; i++) {
        bool       left;
        const bool beats = lives(names[i], uid, words_do, &left);
        one_alive        = beats ? i : one_alive;
        one_dead         = left ? i : one_dead;
        alive += beats;
        dead += left && !beats;
        if (left) {
            n += (size_t)snprintf(list + n, cap - n, "%s%s%s", n == 0 ? "" : ", ", names[i], beats ? "" : " (silent)");
        }
    }
    const char *only = alive == 1 ? names[one_alive] : alive == 0 && dead == 1 ? names[one_dead] : "default";
    snprintf(out, 40, "%s", *named ? named : only);
}

static bool moved(const attach_t *a)
{
    attach_file_t    files[256];
    role_row_t       row;
    struct stat      st;
    const segment_t *supervisor = &a->role[ROLE_SUPERVISOR];
    if (supervisor->head && fstat(supervisor->fd, &st) == 0 && st.st_nlink == 0) {
        return true; /* stopped: the next start makes the directory anew, perhaps with the same names in it */
    }
    const uint32_t count = attach_files(a->dir_fd, files, 256);
    for (uint32_t i = 0; i < count; i++) {
        if (files[i].role == ROLE_SUPERVISOR) {
            if (strcmp(files[i].name, a->file[ROLE_SUPERVISOR]) != 0) {
                return true;
            }
            break; /* the newest comes first */
        }
    }
    for (uint32_t r = 0; a->table && r < ROLE_COUNT; r++) {
        if (role_table_read(a->table, (role_t)r, &row) == ERR_OK && row.gen != a->row[r].gen) {
            return true;
        }
    }
    return false;
}

bool attach_again(attach_t *a)
{
    attach_t fresh;
    if (!moved(a) || attach_open(&fresh, a->instance, a->uid) != ERR_OK) {
        return false;
    }
    fresh.damaged += a->damaged;
    attach_close(a);
    *a = fresh;
    return true;
}

/* ---- what a role says ---------------------------------------------------------------------------------------------- */
static const void *object(const attach_t *a, role_t role, const char *name, segment_kind_t kind, size_t bytes_min)
{
    size_t      bytes = 0;
    const void *mem   = a->role[role].head ? segment_find(&a->role[role], name, kind, &bytes) : NULL;
    return bytes >= bytes_min ? mem : NULL;
}

const control_page_t *attach_control(const attach_t *a, role_t role)
{
    return object(a, role, "control", SEGMENT_CONTROL, sizeof(control_page_t));
}

const counters_t *attach_counters(const attach_t *a, role_t role)
{
    const counters_t *counters = NULL;
    size_t            bytes    = 0;
    const void *mem = a->role[role].head ? segment_find(&a->role[role], "counters", SEGMENT_COUNTERS, &bytes) : NULL;
    return mem && counters_join(mem, bytes, &counters) == ERR_OK ? counters : NULL;
}

const ring_cursor_t *attach_cursor(const attach_t *a, role_t role, ring_id_t ring)
{
    const ring_cursor_t *cursors =
        role < ROLE_COUNT ? object(a, role, "cursors", SEGMENT_CURSORS, RING_ID_COUNT * sizeof *cursors) : NULL;
    return cursors ? &cursors[ring] : NULL;
}

bool attach_alive(const attach_t *a, role_t role)
{
    const role_row_t     *row  = &a->row[role];
    const segment_head_t *head = a->role[role].head;
    char                  path[32];
    if (role == ROLE_SUPERVISOR && head && (!a->row_known[role] || row->pid <= 0)) { /* its own row may be empty */
        return head->pid > 0 && (kill(head->pid, 0) == 0 || errno == EPERM);
    }
    if (!a->row_known[role] || row->pid <= 0 || role_alive(row)) {
        return a->row_known[role] && row->pid > 0;
    }
    snprintf(path, sizeof path, "/proc/%d/stat", row->pid); /* hidden from us (hidepid): there, as far as we can see */
    return access(path, F_OK) != 0 && kill(row->pid, 0) != 0 && errno == EPERM;
}

int64_t attach_age_ns(const attach_t *a, role_t role)
{
    const control_page_t *control = attach_control(a, role);
    const int64_t         beat = control ? atomic_load_explicit(&control->heartbeat_mono_ns, memory_order_relaxed) : 0;
    return beat == 0 ? -1 : max_i64(0, role_mono_ns() - beat);
}

bool attach_stale(const attach_t *a)
{
    const int64_t age = attach_age_ns(a, ROLE_ENGINE);
    return age < 0 || age > ATTACH_STALE_NS;
}

/* ---- rings and records --------------------------------------------------------------------------------------------- */
static err_t join_ring(const attach_t *a, role_t role, const char *name, ring_start_t start, ring_reader_t *reader)
{
    size_t      bytes = 0;
    const void *mem   = a->role[role].head ? segment_find(&a->role[role], name, SEGMENT_BROADCAST, &bytes) : NULL;
    if (!mem) {
        return err_set(ERR_NOT_FOUND, "role %s has no ring \"%s\"", topology_role_name(role), name);
    }
    return ring_reader_join(reader, mem, bytes, start);
}

err_t attach_ring(const attach_t *a, ring_id_t ring, ring_start_t start, ring_reader_t *reader)
{
    const ring_row_t *row = topology_ring(ring);
    return join_ring(a, row->writer, row->object, start, reader);
}

err_t attach_log(const attach_t *a, role_t role, ring_start_t start, ring_reader_t *reader)
{
    return join_ring(a, role, "log", start, reader);
}

static err_t verified(attach_t *a, attach_message_t *m)
{
    const err_t err = message_read((msg_type_t)m->meta.type, m->bytes, m->meta.len, &m->msg);
    a->damaged += err != ERR_OK;
    return err == ERR_OK ? ERR_OK : ERR_PARSE;
}

err_t attach_next(attach_t *a, ring_reader_t *reader, attach_message_t *out)
{
    const err_t err = ring_read(reader, out->bytes, sizeof out->bytes, &out->meta);
    if (err == ERR_FULL) { /* longer than any message of ours: pass over it */
        ring_reader_seek(reader, reader->next + 1);
    }
    if (err == ERR_FULL || err == ERR_PARSE) {
        a->damaged++;
        return ERR_PARSE;
    }
    out->seq = reader->next - 1;
    return err == ERR_OK ? verified(a, out) : err;
}

bool attach_records(const attach_t *a, record_id_t id, records_reader_t *reader)
{
    size_t      bytes = 0;
    const void *mem   = a->role[ROLE_ENGINE].head
                            ? segment_find(&a->role[ROLE_ENGINE], topology_record_name(id), SEGMENT_RECORDS, &bytes)
                            : NULL;
    return mem && records_reader_join(reader, mem, bytes) == ERR_OK;
}

err_t attach_record(attach_t *a, const records_reader_t *reader, uint32_t index, attach_message_t *out)
{
    const err_t err = records_read(reader, index, out->bytes, sizeof out->bytes, &out->meta, &out->seq);
    if (err == ERR_OK) {
        return verified(a, out);
    }
    a->damaged += err != ERR_EMPTY;
    return err;
}

const attach_instrument_t *attach_instrument(const attach_t *a, uint32_t instrument_id)
{
    const attach_instrument_t *ins =
        instrument_id >= 1 && instrument_id <= a->instrument_max ? &a->instruments[instrument_id] : NULL;
    return ins && ins->def.instrument_id != 0 ? ins : NULL;
}

const attach_instrument_t *attach_symbol(const attach_t *a, const char *symbol)
{
    const attach_instrument_t *found = NULL;
    char                       ids[256];
    size_t                     len   = 0;
    uint32_t                   count = 0, id = 0;
    for (uint32_t i = 1; i <= a->instrument_max; i++) {
        const attach_instrument_t *ins = attach_instrument(a, i);
        if (ins && strcasecmp(ins->symbol, symbol) == 0) {
            found = ins;
            len += len < sizeof ids ? (size_t)snprintf(ids + len, sizeof ids - len, "%s%u (venue %u)",
                                                       count++ ? ", " : "", i, ins->def.venue_id)
                                    : 0;
        }
    }
    if (count > 1) {
        err_set(ERR_ARG, "%u instruments are called \"%s\": give the id, one of %s", count, symbol, ids);
        return NULL;
    }
    if (!found && *symbol != '0' && attach_number(symbol, 1, a->instrument_max, &id)) {
        found = attach_instrument(a, id);
    }
    if (!found) {
        err_set(ERR_NOT_FOUND, "no instrument \"%s\" (`hwal books` lists them)", symbol);
    }
    return found;
}
