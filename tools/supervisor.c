#include "tools/supervisor.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/types/time.h"
#include "ipc/message.h"
#include "ipc/version.h"
#include "tools/door.h"
#include "tools/mail.h"

#define BOOT_GENS 1024u                        /* generations of one boot */
#define BOOT_MAX (UINT32_MAX / BOOT_GENS - 1u) /* numbers never come again: there is no wrap */
#define BACKOFF_FIRST_NS (100 * NS_PER_MS)
#define BACKOFF_MAX_NS (5 * NS_PER_S)
#define SPARE_STEP (4 << 20)
#define SPARE_RETRY_NS (5 * NS_PER_S)
#define FILES_LOOK_NS (100 * NS_PER_MS)
#define DESCRIPTORS_MIN 384u
#define LOG_FILE_MAX (16 << 20)
#define SNAPSHOTS_GIVEN 8u
#define JOURNAL_FILES_GIVEN 4u /* newest ones, to the journal role */
#define VENUE_SOCKET "venue.sock"

typedef struct watch { /* one role */
    role_row_t    row;
    int           pid_fd; /* -1 = no process */
    bool          child;  /* ours; else adopted */
    segment_t     seg;    /* newest, read-only */
    segment_t     before;
    ring_reader_t log;
    bool          log_joined;
    const void   *jrn; /* engine: where its ring lies, found while the segment was fresh; NULL = nowhere */
    size_t        jrn_bytes;
    int64_t       log_seen_utc_ns; /* lines up to here were told by the supervisor before */
    int64_t       born_ns;
    int64_t       deaths[SUPERVISOR_DEATHS_MAX]; /* times, a ring */
    uint32_t      death_count;
    uint32_t      backoff;
    uint32_t      told[ROLE_COUNT]; /* generation of each peer that it was told of */
    uint64_t      told_file;        /* journal role: newest journal file that it was given */
    bool          waits;            /* the reason why it cannot start yet was said */
} watch_t;

struct supervisor {
    supervisor_cfg_t   cfg;
    const config_t    *config;
    char               dir[256];
    int                dir_fd, lock_fd, mail_fd, log_fd;
    state_dir_t        state;
    segment_t          own; /* writable */
    role_table_t      *table;
    control_page_t    *control;
    counters_t        *counters;
    log_t              log;
    segment_t          words_segment;
    words_t           *words;
    int                fifo[ROLE_COUNT];
    door_t             door;
    watch_t            role[ROLE_COUNT];
    uint32_t           gen_next;
    uint32_t           gen_first; /* of this start; 0 = adopted, or not so far */
    bool               adopted, crashed, at_once, alarm_said;
    bool               blind;      /* the directory could not be listed */
    bool               files_full; /* max_bytes or the disk: said once */
    supervisor_phase_t phase;
    uint32_t           stop_step;
    int64_t            stop_since_ns, files_at_ns, spare_at_ns;
    uint64_t           memory;
    char               failure[512];
};

/* in the order in which they start */
static const role_t start_order[] = {ROLE_JOURNAL, ROLE_VENUE, ROLE_SIM, ROLE_CAPTURE, ROLE_ENGINE};
#define START_COUNT (sizeof start_order / sizeof start_order[0])
/* ---- words --------------------------------------------------------------------------------------------------------- */
static const char *const level_names[] = {"", "info", "warning", "error"};

static void line(supervisor_t *s, int64_t utc_ns, log_level_t level, const char *role, const char *text, uint32_t count)
{
    if (s->cfg.say) {
        s->cfg.say(s->cfg.say_ctx, level, role, text);
    }
    if (s->log_fd >= 0) {
        char      out[LOG_TEXT_MAX + 128];
        const int n =
            snprintf(out, sizeof out, "%lld.%09lld %s %s: %s (%u)\n", (long long)(utc_ns / NS_PER_S),
                     (long long)(utc_ns % NS_PER_S), level_names[level <= LOG_ERROR ? level : 0], role, text, count);
        if (write(s->log_fd, out, (size_t)n < sizeof out ? (size_t)n : sizeof out - 1) < 0) {
            close(s->log_fd);
            s->log_fd = -1;
        }
    }
}

static void say(supervisor_t *s, log_level_t level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(supervisor_t *s, log_level_t level, const char *fmt, ...)
{
    char    text[LOG_TEXT_MAX + 1];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (s->log.ring.ring) {
        log_write(&s->log, level, "%s", text);
    }
    line(s, role_utc_ns(), level, "supervisor", text, 1);
}

/* What a role wrote to its log since we last looked. */
static void log_drain(supervisor_t *s, role_t role)
{
    watch_t            *w = &s->role[role];
    _Alignas(8) uint8_t buf[LOG_STRIDE];
    ring_meta_t         meta;
    err_t               err = w->log_joined ? ERR_OK : ERR_EMPTY;
    while (err != ERR_EMPTY) {
        msg_t msg;
        err = ring_read(&w->log, buf, sizeof buf, &meta);
        if (err == ERR_OK && meta.type == MSG_LOG && message_read(MSG_LOG, buf, meta.len, &msg) == ERR_OK) {
            const log_record_t *body = msg.body;
            if (body->utc_ns <= w->log_seen_utc_ns) {
                continue; /* the supervisor before us told it */
            }
            line(s, body->utc_ns, body->level, topology_role_name(role), msg.text, body->count);
        }
    }
}

/* ---- rows ----------------------------------------------------------------------------------------------------------- */
static void row_publish(supervisor_t *s, role_t role)
{
    role_table_write(s->table, role, &s->role[role].row);
    s->table->gen_next = s->gen_next;
    s->table->epoch    = s->state.epoch;
}

static const control_page_t *control_of(const supervisor_t *s, role_t role)
{
    return segment_part(&s->role[role].seg, "control", SEGMENT_CONTROL, sizeof(control_page_t));
}

static uint32_t state_of(const supervisor_t *s, role_t role)
{
    const control_page_t *control = control_of(s, role);
    return control ? atomic_load_explicit(&control->state, memory_order_acquire) : ROLE_STATE_NONE;
}

static bool lives(const supervisor_t *s, role_t role)
{
    return s->role[role].pid_fd >= 0;
}

static err_t boot_raise(supervisor_t *s, uint32_t boot)
{
    return boot <= BOOT_MAX
               ? state_dir_raise(&s->state, s->state.epoch, boot)
               : err_set(ERR_LIMIT, "%s: start %u of this journal, the last one is %u: begin a new one (--new)",
                         s->state.path, boot, BOOT_MAX);
}

static err_t gen_new(supervisor_t *s, uint32_t *gen)
{
    *gen = s->gen_next++;
    if (s->gen_next % BOOT_GENS != 0) {
        return ERR_OK;
    }
    const uint32_t boot = s->gen_next / BOOT_GENS; /* the numbers of this boot are used up */
    s->gen_next++;
    return boot_raise(s, boot);
}

/* ---- the directory in shared memory --------------------------------------------------------------------------------- */
/* "engine.1025" -> its role's name length and generation; false for anything else. */
static bool segment_name(const char *name, size_t *role_len, uint32_t *gen)
{
    const char *dot  = strrchr(name, '.');
    int         used = 0;
    if (!dot || dot[1] < '0' || dot[1] > '9' || sscanf(dot + 1, "%" SCNu32 "%n", gen, &used) != 1 || dot[1 + used]) {
        return false;
    }
    *role_len = (size_t)(dot - name);
    return true;
}

typedef bool (*entry_t)(supervisor_t *s, const char *name, void *ctx); /* false ends the walk */

static void directory_walk(supervisor_t *s, entry_t entry, void *ctx)
{
    const int      fd   = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR           *list = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    if (!list) {
        s->blind = true; /* what was not seen may be there all the same */
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    while ((e = readdir(list))) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !entry(s, e->d_name, ctx)) {
            break;
        }
    }
    closedir(list);
}

/* When the supervisor of that segment looked last, by the clock of the log. */
static int64_t heard_until(const segment_t *seg)
{
    const control_page_t *control = segment_part(seg, "control", SEGMENT_CONTROL, sizeof *control);
    const int64_t         beat = control ? atomic_load_explicit(&control->heartbeat_mono_ns, memory_order_relaxed) : 0;
    return beat ? role_utc_ns() - (role_mono_ns() - beat) : 0;
}

typedef struct newest {
    const char *role;  /* NULL = any */
    uint32_t    floor; /* generations below do not count */
    uint32_t    cap, count;
    uint32_t    gens[64]; /* rising; the newest cap ones */
} newest_t;

static bool newest_entry(supervisor_t *s, const char *name, void *ctx)
{
    (void)s;
    newest_t *n = ctx;
    size_t    len;
    uint32_t  gen;
    if (!segment_name(name, &len, &gen) || gen < n->floor ||
        (n->role && (strlen(n->role) != len || memcmp(n->role, name, len) != 0))) {
        return true;
    }
    if (n->count == n->cap) {
        if (gen < n->gens[0]) {
            return true;
        }
        memmove(n->gens, n->gens + 1, --n->count * sizeof n->gens[0]);
    }
    uint32_t at = n->count++;
    for (; at > 0 && n->gens[at - 1] > gen; at--) {
        n->gens[at] = n->gens[at - 1];
    }
    n->gens[at] = gen;
    return true;
}

static uint32_t newest_gen(supervisor_t *s, const char *role)
{
    newest_t n = {.role = role, .cap = 1};
    directory_walk(s, newest_entry, &n);
    return n.count ? n.gens[0] : 0;
}

/* Segments of a role but the newest ones: evidence has an end, or shared memory would. */
static void segments_trim(supervisor_t *s, role_t role)
{
    newest_t       n    = {.role = topology_role_name(role), .cap = 64};
    const uint32_t keep = role == ROLE_ENGINE ? SUPERVISOR_KEEP : SUPERVISOR_KEEP_OTHERS;
    directory_walk(s, newest_entry, &n);
    for (uint32_t i = 0; i + keep < n.count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.%u", n.role, n.gens[i]);
        unlinkat(s->dir_fd, name, 0);
    }
}

/* ---- what all roles share: words, FIFOs, mail ------------------------------------------------------------------------ */
static bool kills_set(const words_t *words)
{
    const uint8_t *at = (const uint8_t *)words->kill_set;
    for (size_t i = 0; i < sizeof words->kill_set; i++) {
        if (at[i]) {
            return true;
        }
    }
    return false;
}

/* Every kill word that is set in old is set in words too. */
static void kills_copy(words_t *words, const words_t *old)
{
    for (uint32_t scope = 0; scope <= SCOPE_VENUE; scope++) {
        for (uint32_t id = 0; id < WORDS_KILL_IDS; id++) {
            if (atomic_load_explicit(&old->kill_set[scope][id / 64], memory_order_relaxed) >> (id % 64) & 1) {
                words_kill(words, (scope_t)scope, id, true);
            }
        }
    }
}

/* The words of the session before go on; a new journal takes only its kill words: what a person killed stays killed. */
static err_t words_open(supervisor_t *s, bool keep)
{
    size_t    bytes  = 0;
    segment_t before = {.fd = -1};
    if (!keep && segment_open(s->dir_fd, "words", geteuid(), false, &before) != ERR_OK) {
        before = (segment_t){.fd = -1};
    }
    const words_t *old = before.head ? segment_find(&before, "words", SEGMENT_WORDS, &bytes) : NULL;
    old                = old && bytes >= sizeof *old && kills_set(old) ? old : NULL;
    if (!keep || segment_open(s->dir_fd, "words", geteuid(), true, &s->words_segment) != ERR_OK) {
        const segment_cfg_t cfg = {.role     = "words",
                                   .instance = s->config->instance,
                                   .bytes    = SEGMENT_HEAD_BYTES + segment_bytes_for(sizeof(words_t)),
                                   .build_id = version_build_id()};
        unlinkat(s->dir_fd, "words", 0);
        err_t err = segment_create(s->dir_fd, &cfg, &s->words_segment);
        if (err) {
            return err;
        }
        if (fchmod(s->words_segment.fd, 0600) != 0 ||
            !segment_add(&s->words_segment, "words", SEGMENT_WORDS, sizeof(words_t))) {
            return err_set(ERR_IO, "words: %s", strerror(errno));
        }
        err = segment_publish(&s->words_segment, s->dir_fd);
        if (err) {
            return err;
        }
    }
    s->words = segment_find(&s->words_segment, "words", SEGMENT_WORDS, &bytes);
    if (!s->words || bytes < sizeof(words_t)) {
        return err_set(ERR_PARSE, "%s/words: has no words in it", s->dir);
    }
    if (old) {
        kills_copy(s->words, old);
    }
    if (before.head) {
        segment_close(&before);
    }
    if (!s->adopted && kills_set(s->words)) {
        say(s, LOG_WARN,
            "kill words of the session before are still set: orders in their scope are denied "
            "(`hwal status` shows them, `hwal kill LEVEL --clear` clears)");
    }
    atomic_store_explicit(&s->words->stop, 0, memory_order_release);
    return ERR_OK;
}

static err_t fifos_open(supervisor_t *s)
{
    for (role_t role = 0; role < ROLE_COUNT; role++) {
        char name[32];
        s->fifo[role] = -1;
        if (role == ROLE_SUPERVISOR || role == ROLE_ENGINE) {
            continue; /* a futex */
        }
        snprintf(name, sizeof name, "%s.fifo", topology_role_name(role));
        if (mkfifoat(s->dir_fd, name, 0600) != 0 && errno != EEXIST) {
            return err_set(ERR_IO, "%s/%s: cannot be made: %s", s->dir, name, strerror(errno));
        }
        s->fifo[role] = openat(s->dir_fd, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        if (s->fifo[role] < 0) {
            return err_set(ERR_IO, "%s/%s: cannot be opened: %s", s->dir, name, strerror(errno));
        }
    }
    return ERR_OK;
}

static void bell(supervisor_t *s, role_t role)
{
    doorbell_ring(&s->words->bells[role], s->fifo[role]);
}

/* Every living role hears of every newer segment, and the journal role of new files. */
static void peers_tell(supervisor_t *s)
{
    for (role_t to = ROLE_ENGINE; to < ROLE_COUNT; to++) {
        watch_t *w    = &s->role[to];
        bool     told = false;
        for (role_t of = 0; lives(s, to) && of < ROLE_COUNT; of++) {
            const segment_t *seg = of == to ? NULL : &s->role[of].seg;
            if (seg && seg->head && seg->gen != w->told[of] &&
                mail_send(s->mail_fd, s->dir_fd, to,
                          &(role_mail_t){.magic = ROLE_MAIL_MAGIC, .role = of, .gen = seg->gen}, seg->fd)) {
                w->told[of] = seg->gen;
                told        = true;
            }
        }
        if (told) {
            bell(s, to);
        }
    }
}

/* ---- starting one role ----------------------------------------------------------------------------------------------- */
static err_t file_add(role_ctx_t *ctx, int fd, role_file_kind_t kind, uint64_t number)
{
    if (fd < 0) {
        return ERR_IO; /* the sentence is the opener's */
    }
    if (ctx->file_count == ROLE_FILES_MAX) {
        close(fd);
        return err_set(ERR_LIMIT, "%s: more than %u files", topology_role_name(ctx->role), ROLE_FILES_MAX);
    }
    ctx->files[ctx->file_count++] = (role_file_t){.fd = fd, .kind = kind, .number = number};
    return ERR_OK;
}

static err_t files_engine(supervisor_t *s, role_ctx_t *ctx)
{
    uint64_t numbers[STATE_FILES_MAX];
    uint32_t count;
    err_t    err = state_dir_list(&s->state, STATE_SNAPSHOT, numbers, SNAPSHOTS_GIVEN, &count);
    for (uint32_t i = 0; !err && i < count; i++) {
        snapshot_info_t info;
        const int       fd = state_dir_file(&s->state, STATE_SNAPSHOT, numbers[i], O_RDONLY);
        if (fd >= 0 && snapshot_head(fd, &info) != ERR_OK) {
            say(s, LOG_WARN, "snapshot %" PRIu64 " is passed over: %s", numbers[i], err_msg());
            close(fd);
            continue;
        }
        err = file_add(ctx, fd, ROLE_FILE_SNAPSHOT, numbers[i]);
    }
    err = err ? err : state_dir_list(&s->state, STATE_JOURNAL, numbers, STATE_FILES_MAX, &count);
    for (uint32_t i = 0; !err && i < count; i++) {
        err = file_add(ctx, state_dir_file(&s->state, STATE_JOURNAL, numbers[i], O_RDONLY), ROLE_FILE_JOURNAL,
                       numbers[i]);
    }
    return err ? err : file_add(ctx, state_dir_snapshot_tmp(&s->state), ROLE_FILE_SNAPSHOT_OUT, 0);
}

/* Engine segments of earlier lives of this session that are still there. */
static err_t files_old_engines(supervisor_t *s, role_ctx_t *ctx)
{
    newest_t n = {.role = "engine", .floor = s->state.first * BOOT_GENS, .cap = SUPERVISOR_KEEP};
    directory_walk(s, newest_entry, &n);
    err_t err = ERR_OK;
    for (uint32_t i = 0; !err && i < n.count; i++) {
        char name[64];
        snprintf(name, sizeof name, "engine.%u", n.gens[i]);
        const int fd = openat(s->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        err          = n.gens[i] == ctx->gen ? ERR_OK : file_add(ctx, fd, ROLE_FILE_OLD_ENGINE, n.gens[i]);
        if (n.gens[i] == ctx->gen && fd >= 0) {
            close(fd);
        }
    }
    return err;
}

static err_t files_journal(supervisor_t *s, role_ctx_t *ctx)
{
    uint64_t numbers[STATE_FILES_MAX];
    uint32_t count = 0;
    err_t    err   = state_dir_list(&s->state, STATE_JOURNAL, numbers, STATE_FILES_MAX, &count);
    uint32_t from  = count; /* the newest with a head, and the spares behind it */
    while (from > 0 && count - from < JOURNAL_FILES_GIVEN) {
        from--;
        if (state_dir_used(&s->state, numbers[from])) {
            break;
        }
    }
    for (uint32_t i = from; !err && i < count; i++) {
        err = file_add(ctx, state_dir_file(&s->state, STATE_JOURNAL, numbers[i], O_RDWR | O_DIRECT), ROLE_FILE_JOURNAL,
                       numbers[i]);
    }
    s->role[ROLE_JOURNAL].told_file = count ? numbers[count - 1] : 0;
    return err;
}

static err_t files_for(supervisor_t *s, role_ctx_t *ctx)
{
    switch (ctx->role) {
    case ROLE_ENGINE: {
        const err_t err = files_engine(s, ctx);
        return err ? err : files_old_engines(s, ctx);
    }
    case ROLE_SIM: return files_old_engines(s, ctx);
    case ROLE_JOURNAL: return files_journal(s, ctx);
    case ROLE_VENUE:
        return file_add(ctx, mail_bind(s->dir_fd, s->dir, SOCK_STREAM, VENUE_SOCKET, 0600), ROLE_FILE_LISTEN, 0);
    case ROLE_SUPERVISOR:
    case ROLE_CAPTURE:
    case ROLE_COUNT: break;
    }
    return ERR_OK;
}

static void context_fill(supervisor_t *s, role_t role, role_ctx_t *ctx)
{
    *ctx = (role_ctx_t){.role          = role,
                        .epoch         = s->state.epoch,
                        .session       = s->state.id.session,
                        .config        = s->config,
                        .instance_dir  = s->dir,
                        .words_segment = s->words_segment,
                        .own           = {.fd = -1},
                        .ctl_fd        = -1};
    for (role_t r = 0; r < ROLE_COUNT; r++) {
        ctx->fifo[r]        = s->fifo[r];
        ctx->peer[r]        = s->role[r].seg;
        ctx->peer_before[r] = s->role[r].before;
    }
    ctx->peer_before[role] = s->role[role].seg; /* its own life before */
    ctx->peer[role]        = (segment_t){.fd = -1};
}

static void context_drop(role_ctx_t *ctx)
{
    for (uint32_t i = 0; i < ctx->file_count; i++) {
        close(ctx->files[i].fd);
    }
    if (ctx->ctl_fd >= 0) {
        close(ctx->ctl_fd);
    }
    segment_close(&ctx->own);
}

/* Is the last life's jrn ring on file? *why is a sentence while it is not. */
static bool jrn_drained(const supervisor_t *s, const char **why)
{
    const watch_t         *engine  = &s->role[ROLE_ENGINE];
    const watch_t         *journal = &s->role[ROLE_JOURNAL];
    const ring_lossless_t *jrn     = engine->jrn;
    lossless_reader_t      reader;
    if (!jrn || lossless_reader_join(&reader, jrn, engine->jrn_bytes, NULL, 0) != ERR_OK) {
        return true; /* there is no last life, or nothing of it that could be read */
    }
    const uint64_t written = lossless_written(&reader);
    if (written == 0) {
        return true;
    }
    if (!lives(s, ROLE_JOURNAL) || state_of(s, ROLE_JOURNAL) != ROLE_RUN) {
        *why = "the journal role is not running";
        return false;
    }
    const ring_cursor_t *cursors =
        segment_part(&journal->seg, "cursors", SEGMENT_CURSORS, RING_ID_COUNT * sizeof *cursors);
    *why = "the journal role has not yet put the last life's records on file";
    return cursors && lossless_cursor_taken(&cursors[RING_ID_JRN], jrn) == written;
}

/* What must be so before an engine's life begins: see the head of the file. ERR_AGAIN: not yet. */
static err_t engine_before(supervisor_t *s, role_ctx_t *ctx)
{
    const char *why = "";
    if (!jrn_drained(s, &why)) {
        if (!s->role[ROLE_ENGINE].waits) {
            say(s, LOG_INFO, "engine waits: %s", why);
            s->role[ROLE_ENGINE].waits = true;
        }
        return ERR_AGAIN;
    }
    const uint32_t fence = atomic_load_explicit(&s->words->fence_epoch, memory_order_acquire);
    const uint32_t epoch = s->state.epoch + 1 > fence ? s->state.epoch + 1 : fence;
    const err_t    err   = state_dir_raise(&s->state, epoch, s->state.boot);
    if (err) {
        return err;
    }
    words_fence_raise(s->words, epoch);
    const bool lived = !s->state.fresh || s->role[ROLE_ENGINE].row.restarts > 0;
    ctx->epoch       = epoch;
    ctx->boot_flags  = lived && !s->role[ROLE_ENGINE].seg.head ? BOOT_ORDERS_UNKNOWN : 0;
    return ERR_OK;
}

static void segment_take(supervisor_t *s, role_t role, segment_t *seg)
{
    watch_t *w = &s->role[role];
    size_t   bytes;
    log_drain(s, role);
    segment_close(&w->before);
    w->before     = w->seg;
    w->seg        = *seg;
    w->jrn        = role == ROLE_ENGINE ? segment_find(seg, "jrn", SEGMENT_LOSSLESS, &w->jrn_bytes) : NULL;
    void *log     = segment_find(seg, "log", SEGMENT_BROADCAST, &bytes);
    w->log_joined = log && ring_reader_join(&w->log, log, bytes, RING_OLDEST) == ERR_OK;
}

static int64_t cpu_of(const supervisor_t *s, role_t role)
{
    return role == ROLE_ENGINE                        ? s->config->run.engine_cpu
           : role == ROLE_SIM || role == ROLE_CAPTURE ? s->config->run.adapter_cpu
                                                      : -1;
}

static err_t role_segment(supervisor_t *s, role_ctx_t *ctx, segment_t *seg)
{
    char        name[64];
    const err_t made =
        topology_segment(ctx->role, s->config, s->cfg.venue_bytes, s->dir_fd, ctx->epoch, ctx->gen, &ctx->own);
    err_t err = made ? made : segment_publish(&ctx->own, s->dir_fd);
    snprintf(name, sizeof name, "%s.%u", topology_role_name(ctx->role), ctx->gen);
    err = err ? err : segment_open(s->dir_fd, name, geteuid(), false, seg);
    if (err && !made) {
        unlinkat(s->dir_fd, name, 0);
    }
    return err;
}

/* ERR_OK; ERR_AGAIN: cannot start yet; else the sentence says why not, and nothing of it is left. */
static err_t role_start(supervisor_t *s, role_t role)
{
    static role_ctx_t ctx; /* large, and the child's from the fork on */
    watch_t          *w = &s->role[role];
    segment_t         seg;
    char              name[32];
    int               go;
    context_fill(s, role, &ctx);
    err_t err = role == ROLE_ENGINE ? engine_before(s, &ctx) : ERR_OK;
    if (err) {
        return err;
    }
    err = gen_new(s, &ctx.gen);
    snprintf(name, sizeof name, "%s.ctl", topology_role_name(role));
    if (!err && (ctx.ctl_fd = mail_bind(s->dir_fd, s->dir, SOCK_DGRAM, name, 0600)) < 0) {
        err = ERR_IO;
    }
    err = err ? err : files_for(s, &ctx);
    err = err ? err : role_segment(s, &ctx, &seg);
    if (err) {
        context_drop(&ctx);
        return err;
    }
    for (role_t r = 0; r < ROLE_COUNT; r++) {
        w->told[r] = s->role[r].seg.head ? s->role[r].seg.gen : 0;
    }
    char file[64];
    snprintf(file, sizeof file, "%s.%u", topology_role_name(role), ctx.gen);
    err = spawn_role(
        &(spawn_t){
            .ctx = &ctx, .main = s->cfg.mains[role], .dir_fd = s->dir_fd, .cpu = cpu_of(s, role), .forget = &s->own},
        &w->row.pid, &w->pid_fd, &go);
    context_drop(&ctx);
    if (err) {
        segment_close(&seg);
        unlinkat(s->dir_fd, file, 0);
        return err;
    }
    segment_take(s, role, &seg);
    w->row.gen   = ctx.gen;
    w->row.epoch = ctx.epoch;
    snprintf(w->row.segment, sizeof w->row.segment, "%.31s", file);
    w->row.pid_start_ticks = role_start_ticks(w->row.pid);
    w->row.status          = ROLE_STATUS_STARTING;
    w->row.adopted         = 0;
    w->child               = true;
    w->waits               = false;
    w->born_ns             = role_mono_ns();
    row_publish(s, role);
    spawn_go(go);
    segments_trim(s, role);
    return ERR_OK;
}

/* ---- deaths ---------------------------------------------------------------------------------------------------------- */
static void give_up(supervisor_t *s, role_t role, const char *why)
{
    s->role[role].row.status = ROLE_STATUS_FAILED;
    row_publish(s, role);
    if (!*s->failure) {
        snprintf(s->failure, sizeof s->failure, "role %s is given up: %s", topology_role_name(role), why);
        say(s, LOG_ERROR, "%s", s->failure);
    }
}

static void again_later(supervisor_t *s, role_t role)
{
    watch_t *w    = &s->role[role];
    int64_t  wait = BACKOFF_FIRST_NS;
    for (uint32_t i = 0; i < w->backoff && wait < BACKOFF_MAX_NS; i++) {
        wait *= 2;
    }
    wait = wait < BACKOFF_MAX_NS ? wait : BACKOFF_MAX_NS;
    w->backoff++;
    w->row.status             = ROLE_STATUS_BACKOFF;
    w->row.next_start_mono_ns = role_mono_ns() + wait;
    row_publish(s, role);
}

static bool too_often(watch_t *w, int64_t now)
{
    const int64_t oldest                                = w->deaths[w->death_count % SUPERVISOR_DEATHS_MAX];
    w->deaths[w->death_count++ % SUPERVISOR_DEATHS_MAX] = now;
    return w->death_count >= SUPERVISOR_DEATHS_MAX &&
           now - (w->death_count == SUPERVISOR_DEATHS_MAX ? w->deaths[0] : oldest) < SUPERVISOR_DEATHS_NS;
}

/* How it ended: exit code, or minus the signal; an adopted one leaves only its page. */
static int32_t exit_of(supervisor_t *s, role_t role)
{
    watch_t  *w    = &s->role[role];
    siginfo_t info = {0};
    if (w->child && waitid(P_PIDFD, (id_t)w->pid_fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
        return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    }
    const control_page_t *control = control_of(s, role);
    const uint32_t        state   = state_of(s, role);
    return state == ROLE_HALT || state == ROLE_FAIL
               ? (int32_t)atomic_load_explicit(&control->exit_code, memory_order_relaxed)
               : -SIGKILL;
}

static void snapshot_keep(supervisor_t *s)
{
    snapshot_info_t info;
    const err_t     err = state_dir_snapshot_keep(&s->state, &info);
    if (err) {
        say(s, LOG_WARN, "the engine ended without a snapshot: %s", err_msg());
    } else {
        say(s, LOG_INFO, "snapshot %020" PRIu64 " is kept", info.sequence);
    }
}

static void role_died(supervisor_t *s, role_t role)
{
    watch_t      *w    = &s->role[role];
    const char   *name = topology_role_name(role);
    const int64_t now = role_mono_ns(), age = now - w->born_ns;
    const bool    stopping = s->phase == SUPERVISOR_STOPPING && s->stop_step >= role_stop_step(role);
    log_drain(s, role);
    w->row.last_exit = exit_of(s, role);
    close(w->pid_fd);
    w->pid_fd  = -1;
    w->row.pid = 0;
    if (role == ROLE_ENGINE && w->row.last_exit == 0) {
        snapshot_keep(s);
    }
    if (stopping) {
        s->crashed |= w->row.last_exit != 0;
        w->row.status = ROLE_STATUS_STOPPED;
        row_publish(s, role);
        return;
    }
    s->crashed |= w->row.last_exit != 0;
    char how[64];
    snprintf(how, sizeof how, w->row.last_exit < 0 ? "was killed by signal %d" : "ended with exit code %d",
             abs(w->row.last_exit));
    say(s, w->row.last_exit ? LOG_ERROR : LOG_WARN, "%s (%s) %s after %.1f s", name, w->row.segment, how,
        (double)age / 1e9);
    if (s->phase == SUPERVISOR_STOPPING) {
        w->row.status = ROLE_STATUS_STOPPED;
        row_publish(s, role);
        return;
    }
    w->backoff = age >= SUPERVISOR_GOOD_NS ? 0 : w->backoff;
    if (too_often(w, now)) {
        char why[128];
        snprintf(why, sizeof why, "it died %u times within %d s; at last it %s", SUPERVISOR_DEATHS_MAX,
                 (int)(SUPERVISOR_DEATHS_NS / NS_PER_S), how);
        give_up(s, role, why);
        return;
    }
    w->row.restarts++;
    counter_add(s->counters, COUNTER_RESTARTS, 1);
    again_later(s, role);
}

/* ---- one turn -------------------------------------------------------------------------------------------------------- */
static void start_due(supervisor_t *s, int64_t now)
{
    for (size_t i = 0; i < START_COUNT; i++) {
        const role_t role = start_order[i];
        watch_t     *w    = &s->role[role];
        const bool   due  = w->row.status == ROLE_STATUS_BACKOFF && now >= w->row.next_start_mono_ns;
        if (!due || lives(s, role)) {
            continue;
        }
        const err_t err = role_start(s, role);
        if (err && err != ERR_AGAIN) {
            say(s, LOG_ERROR, "%s cannot be started: %s", topology_role_name(role), err_msg());
            if (err == ERR_LIMIT && s->state.epoch >= 4095) {
                give_up(s, role, err_msg());
            } else {
                again_later(s, role);
            }
        }
    }
}

static bool states_look(supervisor_t *s)
{
    bool all = true;
    for (size_t i = 0; i < START_COUNT; i++) {
        const role_t role = start_order[i];
        watch_t     *w    = &s->role[role];
        if (w->row.status == ROLE_STATUS_STARTING && state_of(s, role) == ROLE_RUN) {
            w->row.status = ROLE_STATUS_RUNNING;
            row_publish(s, role);
        }
        all &= w->row.status == ROLE_STATUS_RUNNING || w->row.status == ROLE_STATUS_NONE;
    }
    return all;
}

/* One spare file always waits; the journal role gets it as soon as it is there. */
static void files_look(supervisor_t *s, int64_t now)
{
    uint64_t newest = 0;
    if (now < s->files_at_ns || s->phase >= SUPERVISOR_STOPPING) {
        return;
    }
    uint32_t   count;
    const bool some = state_dir_list(&s->state, STATE_JOURNAL, &newest, 1, &count) == ERR_OK && count > 0;
    if (some && s->state.spare_fd < 0 && !state_dir_used(&s->state, newest)) {
        watch_t *w = &s->role[ROLE_JOURNAL];
        if (lives(s, ROLE_JOURNAL) && w->told_file < newest) {
            const int fd = state_dir_file(&s->state, STATE_JOURNAL, newest, O_RDWR | O_DIRECT);
            if (fd >= 0 &&
                mail_send(s->mail_fd, s->dir_fd, ROLE_JOURNAL,
                          &(role_mail_t){.magic = ROLE_MAIL_MAGIC, .file = ROLE_FILE_JOURNAL, .number = newest}, fd)) {
                w->told_file = newest;
                bell(s, ROLE_JOURNAL);
            }
            if (fd >= 0) {
                close(fd);
            }
        }
        s->files_at_ns = now + FILES_LOOK_NS;
        return;
    }
    const err_t err = now >= s->spare_at_ns ? state_dir_spare(&s->state, SPARE_STEP) : ERR_EMPTY;
    if (err == ERR_OK) {
        s->files_full       = false;
        const int64_t bytes = state_dir_bytes(&s->state);
        if (!s->alarm_said && bytes >= s->state.max_bytes / 10 * 9) {
            say(s, LOG_WARN,
                "journal: %" PRId64 " of journal.max_bytes %" PRId64 " are used: orders are denied (154) at its end",
                bytes, s->state.max_bytes);
            s->alarm_said = true;
        }
    } else if (err != ERR_AGAIN && err != ERR_EMPTY) {
        if (!s->files_full) {
            say(s, LOG_ERROR, "journal: no spare file, orders will be denied (154) when this one is full: %s",
                err_msg());
            s->files_full = true;
        }
        s->spare_at_ns = now + SPARE_RETRY_NS;
    }
}

static void stop_step_begin(supervisor_t *s, uint32_t step)
{
    s->stop_step     = step;
    s->stop_since_ns = role_mono_ns();
    atomic_store_explicit(&s->words->stop, step, memory_order_release);
    for (role_t role = ROLE_ENGINE; role < ROLE_COUNT; role++) {
        bell(s, role);
    }
}

static void stop_look(supervisor_t *s, int64_t now)
{
    bool left = false, any = false;
    for (role_t role = ROLE_ENGINE; role < ROLE_COUNT; role++) {
        any |= lives(s, role);
        if (!lives(s, role) || (!s->at_once && role_stop_step(role) > s->stop_step)) {
            continue;
        }
        left = true;
        if (s->at_once || now - s->stop_since_ns > SUPERVISOR_STOP_NS) {
            say(s, LOG_WARN, "%s is killed: %s", topology_role_name(role), s->at_once ? "at once" : "it did not stop");
            syscall(SYS_pidfd_send_signal, s->role[role].pid_fd, SIGKILL, NULL, 0);
            s->stop_since_ns = now;
        }
    }
    if (!any) {
        s->phase = SUPERVISOR_STOPPED;
        control_state(s->control, ROLE_HALT);
    } else if (!left) {
        stop_step_begin(s, s->stop_step + 1);
    }
}

static void wait_for(supervisor_t *s, int64_t wait_ns)
{
    struct pollfd fds[ROLE_COUNT + DOOR_POLL_MAX];
    nfds_t        n = door_poll(&s->door, role_mono_ns(), fds);
    wait_ns         = door_wait_ns(&s->door, wait_ns);
    for (role_t role = 0; role < ROLE_COUNT; role++) {
        if (lives(s, role)) {
            fds[n++] = (struct pollfd){.fd = s->role[role].pid_fd, .events = POLLIN};
        }
    }
    if (s->state.spare_fd >= 0) {
        wait_ns = 0; /* a file is being written */
    }
    poll(fds, n, (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS));
}

static void deaths_look(supervisor_t *s)
{
    for (role_t role = 0; role < ROLE_COUNT; role++) {
        struct pollfd fd = {.fd = s->role[role].pid_fd, .events = POLLIN};
        if (lives(s, role) && poll(&fd, 1, 0) == 1) {
            role_died(s, role);
        }
    }
}

supervisor_phase_t supervisor_turn(supervisor_t *s, int64_t wait_ns)
{
    wait_for(s, wait_ns);
    const int64_t now = role_mono_ns();
    deaths_look(s);
    if (s->phase < SUPERVISOR_STOPPING) {
        start_due(s, now);
    }
    const bool all = states_look(s);
    peers_tell(s);
    door_turn(&s->door, now,
              lives(s, ROLE_ENGINE) && s->phase < SUPERVISOR_STOPPING ? &s->role[ROLE_ENGINE].seg : NULL);
    files_look(s, now);
    for (role_t role = ROLE_ENGINE; role < ROLE_COUNT; role++) {
        log_drain(s, role);
    }
    if (s->phase < SUPERVISOR_STOPPING) {
        s->phase = all ? SUPERVISOR_RUNNING : SUPERVISOR_STARTING;
        if (*s->failure) {
            supervisor_stop(s, false);
        }
    }
    if (s->phase == SUPERVISOR_STOPPING) {
        stop_look(s, now);
    }
    control_beat(s->control, now);
    log_flush(&s->log, now);
    return s->phase;
}

void supervisor_stop(supervisor_t *s, bool at_once)
{
    s->at_once |= at_once;
    if (s->phase < SUPERVISOR_STOPPING) {
        s->phase = SUPERVISOR_STOPPING;
        control_state(s->control, ROLE_STOPPING);
        stop_step_begin(s, 1);
    }
}

/* ---- opening --------------------------------------------------------------------------------------------------------- */
static err_t adopt_role(supervisor_t *s, role_t role, const role_row_t *row)
{
    watch_t  *w = &s->role[role];
    segment_t seg;
    w->row.restarts = row->restarts;
    if (segment_open(s->dir_fd, row->segment, geteuid(), false, &seg) == ERR_OK) {
        segment_take(s, role, &seg);
        w->row.gen   = row->gen;
        w->row.epoch = row->epoch;
        snprintf(w->row.segment, sizeof w->row.segment, "%.31s", row->segment);
    }
    if (!role_alive(row) || !w->seg.head) {
        return ERR_OK;
    }
    w->pid_fd = (int)syscall(SYS_pidfd_open, row->pid, 0);
    if (w->pid_fd < 0 || !role_alive(row)) {
        if (w->pid_fd >= 0) {
            close(w->pid_fd);
        }
        w->pid_fd = -1;
        return ERR_OK;
    }
    w->row.pid             = row->pid;
    w->row.pid_start_ticks = row->pid_start_ticks;
    w->row.adopted         = 1;
    w->row.status          = ROLE_STATUS_STARTING;
    w->born_ns             = role_mono_ns();
    say(s, LOG_INFO, "%s, pid %d, is adopted", row->segment, row->pid);
    return ERR_OK;
}

/* The role table of the supervisor before. */
static bool table_open(supervisor_t *s, segment_t *seg, const role_table_t **table)
{
    char           name[64];
    size_t         bytes;
    const uint32_t gen = newest_gen(s, "supervisor");
    snprintf(name, sizeof name, "supervisor.%u", gen);
    if (gen == 0 || segment_open(s->dir_fd, name, geteuid(), false, seg) != ERR_OK) {
        return false;
    }
    *table = segment_find(seg, "roles", SEGMENT_ROLES, &bytes);
    if (*table && bytes >= sizeof **table) {
        return true;
    }
    segment_close(seg);
    return false;
}

static int32_t anybody(const role_table_t *table)
{
    for (role_t role = ROLE_ENGINE; role < ROLE_COUNT; role++) {
        role_row_t row;
        if (role_table_read(table, role, &row) == ERR_OK && role_alive(&row)) {
            return row.pid;
        }
    }
    return 0;
}

static err_t memory_check(supervisor_t *s)
{
    struct statvfs vfs;
    s->memory = SEGMENT_HEAD_BYTES + segment_bytes_for(sizeof(words_t));
    for (role_t role = 0; role < ROLE_COUNT; role++) {
        if (topology_runs(role, s->config)) {
            const size_t bytes = topology_bytes(role, s->config, s->cfg.venue_bytes);
            if (bytes == 0) {
                return ERR_CONFIG; /* the sentence is there */
            }
            s->memory += bytes;
        }
    }
    if (fstatvfs(s->dir_fd, &vfs) == 0 && (uint64_t)vfs.f_bavail * vfs.f_frsize < s->memory && !s->adopted) {
        return err_set(ERR_LIMIT,
                       "%s: the instance needs %" PRIu64 " bytes of shared memory and %" PRIu64
                       " are free: make room (`hwal segments gc`), or make rings.* or engine.orders_max smaller",
                       s->dir, s->memory, (uint64_t)vfs.f_bavail * vfs.f_frsize);
    }
    return ERR_OK;
}

static err_t snapshot_first(supervisor_t *s)
{
    snapshot_info_t info;
    const int       fd  = state_dir_snapshot_tmp(&s->state);
    err_t           err = fd < 0 ? ERR_IO : s->cfg.genesis(s->config, NULL, 0, &s->state.id, fd);
    if (fd >= 0) {
        close(fd);
    }
    err = err ? err : state_dir_snapshot_keep(&s->state, &info);
    return err ? err_wrap(err, "first snapshot") : ERR_OK;
}

static err_t journal_begin(supervisor_t *s)
{
    uint64_t number;
    uint32_t count, snapshots;
    err_t    err = state_dir_list(&s->state, STATE_SNAPSHOT, &number, 1, &snapshots);
    err          = err ? err : state_dir_list(&s->state, STATE_JOURNAL, &number, 1, &count);
    if (!err && snapshots == 0) {
        err = count == 0
                  ? snapshot_first(s)
                  : err_set(ERR_NOT_FOUND,
                            "%s: its snapshots are gone: put them back, or start with --new (what is there is kept "
                            "as %s.old)",
                            s->state.path, s->state.path);
    }
    while (!err && count == 0) {
        err   = state_dir_spare(&s->state, s->state.file_bytes);
        count = err == ERR_OK;
        err   = err == ERR_AGAIN ? ERR_OK : err;
    }
    return err;
}

static err_t own_segment(supervisor_t *s)
{
    uint32_t gen;
    size_t   bytes, log_bytes;
    char     name[64];
    err_t    err = gen_new(s, &gen);
    err          = err ? err : topology_segment(ROLE_SUPERVISOR, s->config, 0, s->dir_fd, s->state.epoch, gen, &s->own);
    if (err) {
        return err;
    }
    s->own.head->pid         = getpid();
    s->table                 = segment_find(&s->own, "roles", SEGMENT_ROLES, &bytes);
    s->control               = segment_find(&s->own, "control", SEGMENT_CONTROL, &bytes);
    s->counters              = segment_find(&s->own, "counters", SEGMENT_COUNTERS, &bytes);
    void *log                = segment_find(&s->own, "log", SEGMENT_BROADCAST, &log_bytes);
    err                      = ring_writer_join(&s->log.ring, log, log_bytes);
    s->table->session        = s->state.id.session;
    s->table->started_utc_ns = role_utc_ns();
    s->table->durability     = (uint32_t)s->config->journal.durability;
    s->table->shm_bytes      = s->memory;
    snprintf(s->table->journal_dir, sizeof s->table->journal_dir, "%s", s->state.path);
    for (role_t role = 0; role < ROLE_COUNT; role++) {
        row_publish(s, role);
    }
    snprintf(name, sizeof name, "supervisor.%u", gen);
    err = err ? err : segment_publish(&s->own, s->dir_fd);
    err = err ? err : segment_open(s->dir_fd, name, geteuid(), false, &s->role[ROLE_SUPERVISOR].seg);
    if (!err) {
        watch_t *w             = &s->role[ROLE_SUPERVISOR];
        w->row.pid             = getpid();
        w->row.pid_start_ticks = role_start_ticks(w->row.pid);
        w->row.gen             = gen;
        w->row.status          = ROLE_STATUS_RUNNING;
        snprintf(w->row.segment, sizeof w->row.segment, "%.31s", name);
        row_publish(s, ROLE_SUPERVISOR);
        atomic_store_explicit(&s->control->started_mono_ns, role_mono_ns(), memory_order_relaxed);
        control_state(s->control, ROLE_RUN);
        segments_trim(s, ROLE_SUPERVISOR);
    }
    return err;
}

static void log_file_open(supervisor_t *s)
{
    struct stat st;
    if (fstatat(s->state.fd, "log", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > LOG_FILE_MAX) {
        renameat(s->state.fd, "log", s->state.fd, "log.old");
    }
    s->log_fd = openat(s->state.fd, "log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* Boot number and generations, and what a life before left: living roles, or dead ones' segments. */
static err_t inherit(supervisor_t *s)
{
    segment_t           seg   = {.fd = -1};
    const role_table_t *table = NULL;
    const bool          found = table_open(s, &seg, &table);
    const int32_t       pid   = found ? anybody(table) : 0;
    const uint32_t      gen   = newest_gen(s, NULL);
    err_t               err = s->blind ? err_set(ERR_IO, "%s: cannot be listed: %s", s->dir, strerror(errno)) : ERR_OK;
    s->adopted              = pid != 0;
    if (!err && s->adopted && s->cfg.anew) {
        err =
            err_set(ERR_STATE,
                    "%s: roles of this instance still run without a supervisor (pid %d ...): `hwal run --resume` takes "
                    "them over; then stop it",
                    s->dir, pid);
    }
    err = err ? err : state_dir_open(s->config, s->config->journal.start == START_NEW && !s->adopted, &s->state);
    const bool same = !err && found && !s->state.fresh && table->session == s->state.id.session;
    if (!err && s->adopted && !same) {
        err = err_set(ERR_STATE, "%s: living roles (pid %d ...) belong to another session than %s", s->dir, pid,
                      s->state.path);
    }
    if (!err && s->adopted) {
        s->gen_next = (gen > table->gen_next ? gen : table->gen_next) + 1;
    } else if (!err) {
        const uint32_t boot = (s->state.boot > gen / BOOT_GENS ? s->state.boot : gen / BOOT_GENS) + 1;
        s->state.first      = s->state.fresh ? boot : s->state.first;
        s->gen_next = s->gen_first = boot * BOOT_GENS + 1;
        err                        = boot_raise(s, boot);
    }
    for (role_t role = ROLE_ENGINE; same && !err && role < ROLE_COUNT; role++) {
        role_row_t row;
        if (role_table_read(table, role, &row) == ERR_OK && *row.segment) {
            s->role[role].log_seen_utc_ns = heard_until(&seg);
            err                           = adopt_role(s, role, &row);
            s->crashed |= s->adopted && !lives(s, role);
        }
    }
    if (found) {
        segment_close(&seg);
    }
    /* after an orderly stop the venue's segment alone is there, without a table */
    const uint32_t venue = newest_gen(s, "venue");
    if (!err && !found && !s->state.fresh && venue >= s->state.first * BOOT_GENS) {
        role_row_t row = {.gen = venue};
        snprintf(row.segment, sizeof row.segment, "venue.%u", venue);
        err = adopt_role(s, ROLE_VENUE, &row);
    }
    return err;
}

/* The engine's share is the largest: every journal file. A start that runs out of them half way is no start. */
static err_t descriptors_check(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_max < DESCRIPTORS_MIN) {
        return err_set(ERR_LIMIT, "%llu open files are allowed (ulimit -Hn), %u are needed",
                       (unsigned long long)files.rlim_max, DESCRIPTORS_MIN);
    }
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    return ERR_OK;
}

/* A processor that we may not use. The kernel would let a role leave the mask that somebody gave us (taskset), or refuse
 * it in the middle of the start (cpuset). */
static err_t processor_check(const char *key, int64_t cpu)
{
    cpu_set_t may;
    CPU_ZERO(&may);
    if (cpu < 0 || sched_getaffinity(0, sizeof may, &may) != 0 || CPU_ISSET((size_t)cpu, &may)) {
        return ERR_OK;
    }
    char     list[128] = "";
    size_t   len       = 0;
    unsigned more      = 0;
    for (unsigned i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &may) && len + 8 < sizeof list) {
            len += (size_t)snprintf(list + len, sizeof list - len, " %u", i);
        } else {
            more += CPU_ISSET(i, &may) != 0;
        }
    }
    return err_set(ERR_CONFIG, "%s is %d: none of the processors that this process may use:%s%s", key, (int)cpu, list,
                   more ? " ..." : "");
}

static void door_says(void *ctx, log_level_t level, const char *text)
{
    say(ctx, level, "%s", text);
}

static err_t lanes_open(supervisor_t *s)
{
    return door_open(&s->door, &(door_cfg_t){.config  = s->config,
                                             .dir     = s->dir,
                                             .dir_fd  = s->dir_fd,
                                             .mail_fd = s->mail_fd,
                                             .words   = s->words,
                                             .say     = door_says,
                                             .say_ctx = s});
}

static err_t open_all(supervisor_t *s)
{
    const uid_t uid = geteuid();
    err_t       err = descriptors_check();
    err             = err ? err : processor_check("run.engine_cpu", s->config->run.engine_cpu);
    err             = err ? err : processor_check("run.adapter_cpu", s->config->run.adapter_cpu);
    err             = err ? err : segment_dir_path(uid, s->config->instance, s->dir, sizeof s->dir);
    err             = err ? err : segment_dir_open(uid, s->config->instance, true, &s->dir_fd);
    if (!err) {
        err = state_dir_lock(s->dir_fd, "supervisor.lock", &s->lock_fd);
        err = err == ERR_EXISTS ? err_wrap(err, "instance %s runs already", s->config->instance) : err;
    }
    s->mail_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    err        = err ? err : inherit(s);
    if (err) {
        return err;
    }
    log_file_open(s);
    if (!s->state.fresh && !s->role[ROLE_VENUE].seg.head) {
        say(s, LOG_WARN,
            "the simulated venue's market of this journal is gone: it begins anew, without our positions, so "
            "accounts that hold any stay unreconciled (152); --new begins everything anew");
    }
    err = memory_check(s);
    err = err ? err : journal_begin(s);
    err = err ? err : own_segment(s);
    err = err ? err : words_open(s, s->adopted || !s->state.fresh);
    err = err ? err : fifos_open(s);
    err = err ? err : lanes_open(s);
    for (size_t i = 0; !err && i < START_COUNT; i++) {
        const role_t role = start_order[i];
        watch_t     *w    = &s->role[role];
        if (lives(s, role) || !topology_runs(role, s->config)) {
            row_publish(s, role);
            continue;
        }
        err = role_start(s, role);
        if (err == ERR_AGAIN) { /* in a turn, as soon as it may */
            w->row.status = ROLE_STATUS_BACKOFF;
            err           = ERR_OK;
        }
        row_publish(s, role);
    }
    return err;
}

static void fd_drop(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

/* ---- removing ------------------------------------------------------------------------------------------------------- */
/* Segments that this start made. */
static bool remove_made(supervisor_t *s, const char *name, void *ctx)
{
    (void)ctx;
    size_t   len;
    uint32_t gen;
    if (s->gen_first && segment_name(name, &len, &gen) && gen >= s->gen_first) {
        unlinkat(s->dir_fd, name, 0);
    }
    return true;
}

/* Everything, but what the next start wants to find: the market of the venue, and what a person killed. */
static bool remove_entry(supervisor_t *s, const char *name, void *ctx)
{
    (void)ctx;
    size_t     len;
    uint32_t   gen;
    const bool venue = s->config->journal.start == START_RESUME && segment_name(name, &len, &gen) && len == 5 &&
                       memcmp(name, "venue", 5) == 0 && gen == s->role[ROLE_VENUE].row.gen;
    const bool words = strcmp(name, "words") == 0 && s->words && kills_set(s->words);
    if (!venue && !words) {
        unlinkat(s->dir_fd, name, 0);
    }
    return true;
}

/* Directories with nothing in them. */
static void directories_remove(supervisor_t *s)
{
    char *slash = strrchr(s->dir, '/');
    rmdir(s->dir); /* if nothing is left in it */
    if (slash) {
        *slash = '\0';
        rmdir(s->dir); /* nor any other instance */
    }
}

err_t supervisor_open(const supervisor_cfg_t *cfg, supervisor_t **out)
{
    supervisor_t *s = calloc(1, sizeof *s);
    *out            = NULL;
    if (!s) {
        return err_set(ERR_LIMIT, "supervisor: out of memory");
    }
    s->cfg    = *cfg;
    s->config = cfg->config;
    s->dir_fd = s->lock_fd = s->mail_fd = s->log_fd = -1;
    s->state                                        = (state_dir_t){.fd = -1, .spare_fd = -1};
    s->own = s->words_segment = (segment_t){.fd = -1};
    s->door.fd                = -1;
    for (role_t role = 0; role < ROLE_COUNT; role++) {
        s->fifo[role]        = -1;
        s->role[role].pid_fd = -1;
        s->role[role].seg = s->role[role].before = (segment_t){.fd = -1};
    }
    const err_t err = open_all(s);
    if (!err) {
        *out = s;
        return ERR_OK;
    }
    /* never half started: those that live and are ours end, what was made goes */
    char sentence[512];
    snprintf(sentence, sizeof sentence, "%s", err_msg());
    for (role_t role = ROLE_ENGINE; role < ROLE_COUNT; role++) {
        watch_t *w = &s->role[role];
        if (lives(s, role) && w->child) {
            siginfo_t info;
            syscall(SYS_pidfd_send_signal, w->pid_fd, SIGKILL, NULL, 0);
            waitid(P_PIDFD, (id_t)w->pid_fd, &info, WEXITED);
            close(w->pid_fd);
            w->pid_fd = -1;
        }
    }
    door_close(&s->door);
    fd_drop(&s->mail_fd); /* removing wants descriptors too, and they may be what was missing */
    fd_drop(&s->log_fd);
    if (!s->adopted && s->lock_fd >= 0) {
        s->blind = false;
        directory_walk(s, remove_made, NULL);
        if (newest_gen(s, NULL) == 0 && !s->blind) { /* no evidence of anybody else's */
            directory_walk(s, remove_entry, NULL);
        }
        state_dir_abandon(&s->state);
    }
    directories_remove(s);
    supervisor_close(s);
    return err_set(err, "%s", sentence);
}

/* ---- closing -------------------------------------------------------------------------------------------------------- */
void supervisor_close(supervisor_t *s)
{
    door_close(&s->door);
    if (s->phase == SUPERVISOR_STOPPED && !s->crashed && s->dir_fd >= 0) {
        directory_walk(s, remove_entry, NULL);
        directories_remove(s);
    }
    for (role_t role = 0; role < ROLE_COUNT; role++) {
        segment_close(&s->role[role].seg);
        segment_close(&s->role[role].before);
        if (s->role[role].pid_fd >= 0) {
            close(s->role[role].pid_fd);
        }
        if (s->fifo[role] >= 0) {
            close(s->fifo[role]);
        }
    }
    segment_close(&s->own);
    segment_close(&s->words_segment);
    state_dir_close(&s->state);
    fd_drop(&s->log_fd);
    fd_drop(&s->mail_fd);
    fd_drop(&s->lock_fd);
    fd_drop(&s->dir_fd);
    free(s);
}

/* ---- reading --------------------------------------------------------------------------------------------------------- */
const char *supervisor_failure(const supervisor_t *s)
{
    return *s->failure ? s->failure : NULL;
}
bool supervisor_adopted(const supervisor_t *s)
{
    return s->adopted;
}
bool supervisor_crashed(const supervisor_t *s)
{
    return s->crashed;
}
const state_dir_t *supervisor_dir(const supervisor_t *s)
{
    return &s->state;
}
const role_row_t *supervisor_row(const supervisor_t *s, role_t role)
{
    return &s->role[role].row;
}
const segment_t *supervisor_segment(const supervisor_t *s, role_t role)
{
    return &s->role[role].seg;
}
uint64_t supervisor_memory(const supervisor_t *s)
{
    return s->memory;
}
