/* Supervisor, with roles that do nothing but live: what starts, what is started again, what is adopted, what is left.
 *
 * Checked   every role reaches RUN in a process of its own, confined; an orderly stop ends engine, then journal and
 * adapters, then venue, keeps the engine's snapshot and leaves nothing in shared memory; a killed role comes back with a
 * new generation and the others are told; the engine alone gets a new epoch, durable, above every fence, and waits until
 * its last records are on file; one supervisor an instance; a new one adopts what lives; a start that fails leaves
 * nothing; lane.sock is the living supervisor's; state directory: refusals by name, .old, epochs used up; spare journal
 * files, max_bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/lane.h"
#include "tools/supervisor.h"

#define SECOND_NS 1000000000LL

static char      root[64], shm[96], state[96];
static config_t *config;
static char      said[1 << 16];

static struct plan { /* what the stubs do; they see it as it was when they were forked */
    bool    engine_writes;
    int64_t journal_takes_after_ns;
    bool    die_at_once[ROLE_COUNT];
    bool    keep_snapshot;
} plan;

/* ---- stubs --------------------------------------------------------------------------------------------------------- */
static err_t stub_genesis(const config_t *c, char *const *strategies, uint32_t count, const journal_id_t *id, int fd)
{
    static _Alignas(4096) uint8_t arena[4096] = {1};
    (void)c;
    (void)strategies;
    (void)count;
    return snapshot_write(fd, &(snapshot_info_t){.id = *id, .arena_bytes = sizeof arena}, arena);
}

static void stub_engine_writes(role_ctx_t *ctx)
{
    lossless_writer_t jrn;
    size_t            bytes;
    void             *mem = segment_find(&ctx->own, "jrn", SEGMENT_LOSSLESS, &bytes);
    assert_int_equal(lossless_writer_join(&jrn, mem, bytes), ERR_OK);
    for (int i = 0; i < 10; i++) {
        lossless_put(&jrn, &(ring_meta_t){.len = 8, .type = 1}, "1234567");
    }
}

static void stub_journal_takes(role_ctx_t *ctx)
{
    lossless_reader_t reader;
    size_t            bytes;
    if (!ctx->peer[ROLE_ENGINE].head) {
        return;
    }
    const void *mem = segment_find(&ctx->peer[ROLE_ENGINE], "jrn", SEGMENT_LOSSLESS, &bytes);
    if (lossless_reader_join(&reader, mem, bytes, NULL, 0) == ERR_OK) {
        const uint64_t written = lossless_written(&reader);
        lossless_reader_join(&reader, mem, bytes, &ctx->cursors[RING_ID_JRN], written);
    }
}

static int stub_main(role_ctx_t *ctx)
{
    if (plan.die_at_once[ctx->role]) {
        return role_fail(ctx, "this stub dies at once");
    }
    role_sandbox(ctx);
    if (ctx->role == ROLE_ENGINE && plan.engine_writes) {
        stub_engine_writes(ctx);
    }
    const int64_t began = role_mono_ns();
    control_state(ctx->control, ROLE_RUN);
    while (!role_stopping(ctx)) {
        uint32_t              which;
        const struct timespec nap = {.tv_nsec = 2000000};
        while (role_news(ctx, &which) == ROLE_NEWS_PEER) {
            counter_add(ctx->counters, COUNTER_RECONNECTS, 1);
        }
        if (ctx->role == ROLE_JOURNAL && role_mono_ns() - began >= plan.journal_takes_after_ns) {
            stub_journal_takes(ctx);
        }
        role_housekeep(ctx, role_mono_ns());
        clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
    }
    for (uint32_t i = 0; i < ctx->file_count && plan.keep_snapshot; i++) {
        if (ctx->files[i].kind == ROLE_FILE_SNAPSHOT_OUT) {
            static uint8_t arena[4096] = {2};
            snapshot_write(ctx->files[i].fd, &(snapshot_info_t){.sequence = 77, .arena_bytes = sizeof arena}, arena);
        }
    }
    atomic_store(&ctx->control->heartbeat_mono_ns, role_mono_ns());
    control_state(ctx->control, ROLE_HALT);
    return 0;
}

static void on_say(void *ctx, log_level_t level, const char *role, const char *text)
{
    (void)ctx;
    (void)level;
    const size_t len = strlen(said);
    snprintf(said + len, sizeof said - len, "%s: %s\n", role, text);
}

static supervisor_cfg_t stubs(void)
{
    supervisor_cfg_t cfg = {.config = config, .venue_bytes = 4096, .genesis = stub_genesis, .say = on_say};
    for (role_t role = ROLE_ENGINE; role < ROLE_COUNT; role++) {
        cfg.mains[role] = stub_main;
    }
    return cfg;
}

/* ---- helpers ------------------------------------------------------------------------------------------------------- */
static supervisor_t *opened(void)
{
    const supervisor_cfg_t cfg = stubs();
    supervisor_t          *s   = NULL;
    if (supervisor_open(&cfg, &s) != ERR_OK) {
        fail_msg("%s", err_msg());
    }
    return s;
}

static void refused(const char *want, err_t err)
{
    const supervisor_cfg_t cfg = stubs();
    supervisor_t          *s   = (supervisor_t *)(void *)root;
    if (supervisor_open(&cfg, &s) != err || !strstr(err_msg(), want)) {
        fail_msg("says \"%s\", not \"%s\"", err_msg(), want);
    }
    assert_null(s);
}

static void turns_until(supervisor_t *s, supervisor_phase_t phase)
{
    const int64_t end = role_mono_ns() + 20 * SECOND_NS;
    while (supervisor_turn(s, 10000000) != phase) {
        if (role_mono_ns() > end) {
            fail_msg("20 s over; said:\n%s", said);
        }
    }
}

static void stopped(supervisor_t *s)
{
    supervisor_stop(s, false);
    turns_until(s, SUPERVISOR_STOPPED);
}

static uint32_t entries(const char *path)
{
    DIR     *list = opendir(path);
    uint32_t n    = 0;
    while (list && readdir(list)) {
        n++;
    }
    if (list) {
        closedir(list);
    }
    return n;
}

static const control_page_t *control(const supervisor_t *s, role_t role)
{
    size_t bytes;
    return segment_find(supervisor_segment(s, role), "control", SEGMENT_CONTROL, &bytes);
}

static uint64_t count_of(const supervisor_t *s, role_t role, counter_t counter)
{
    size_t bytes;
    return counter_get(segment_find(supervisor_segment(s, role), "counters", SEGMENT_COUNTERS, &bytes), counter);
}

static void turns_for(supervisor_t *s, int64_t ns)
{
    for (const int64_t end = role_mono_ns() + ns; role_mono_ns() < end;) {
        supervisor_turn(s, 10000000);
    }
}

static int setup(void **unused)
{
    (void)unused;
    char command[256];
    snprintf(root, sizeof root, "/dev/shm/hwal_sup_%d", getpid());
    snprintf(shm, sizeof shm, "%s/shm", root);
    snprintf(state, sizeof state, "%s/state", root);
    snprintf(command, sizeof command, "rm -rf %s && mkdir -p %s", root, shm);
    assert_int_equal(system(command), 0);
    setenv("HWAL_SHM", shm, 1);
    setenv("HWAL_JOURNAL_DIR", state, 1);
    setenv("HWAL_JOURNAL_FILE_BYTES", "1048576", 1);
    setenv("HWAL_JOURNAL_MAX_BYTES", "5242880", 1);
    setenv("HWAL_INSTANCE", "sup", 1);
    setenv("HWAL_ENGINE_ORDERS_MAX", "1024", 1);
    setenv("HWAL_RINGS_MD", "1024", 1);
    setenv("HWAL_RINGS_EXEC", "1024", 1);
    setenv("HWAL_RINGS_JRN", "16384", 1);
    setenv("HWAL_RINGS_EV", "1024", 1);
    assert_int_equal(config_load(NULL, &config), ERR_OK);
    plan  = (struct plan){0};
    *said = '\0';
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    char command[512];
    config_free(config);
    /* a test that failed leaves roles alive: their locks say who they are */
    snprintf(command, sizeof command,
             "for l in $(ls %s/*/*/*.lock 2>/dev/null | grep -v supervisor); do kill -9 $(cat $l) 2>/dev/null; done; "
             "rm -rf %s",
             shm, root);
    return system(command);
}

/* ---- tests --------------------------------------------------------------------------------------------------------- */
static void test_life(void **unused)
{
    (void)unused;
    plan.keep_snapshot = true;
    supervisor_t *s    = opened();
    uint32_t      pids = 0;
    turns_until(s, SUPERVISOR_RUNNING);
    for (role_t role = ROLE_ENGINE; role < ROLE_COUNT; role++) {
        const role_row_t *row = supervisor_row(s, role);
        if (role == ROLE_CAPTURE) { /* no recording is configured */
            assert_int_equal(row->status, ROLE_STATUS_NONE);
            continue;
        }
        char path[64], text[64] = {0};
        assert_int_equal(row->status, ROLE_STATUS_RUNNING);
        assert_true(role_alive(row));
        snprintf(path, sizeof path, "/proc/%d/comm", row->pid);
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        assert_non_null(fgets(text, sizeof text, f));
        fclose(f);
        assert_memory_equal(text, "hwal:", 5);
        assert_int_equal(supervisor_segment(s, role)->head->pid, row->pid);
        assert_int_equal(getpgid(row->pid), row->pid); /* the terminal's Ctrl-C does not reach it */
        pids++;
    }
    assert_int_equal(pids, 4);
    assert_int_equal(supervisor_row(s, ROLE_ENGINE)->epoch, 1);
    assert_int_equal(supervisor_dir(s)->epoch, 1);
    assert_true(supervisor_memory(s) < 256u << 20);
    stopped(s);
    const int64_t engine  = atomic_load(&control(s, ROLE_ENGINE)->heartbeat_mono_ns);
    const int64_t journal = atomic_load(&control(s, ROLE_JOURNAL)->heartbeat_mono_ns);
    const int64_t venue   = atomic_load(&control(s, ROLE_VENUE)->heartbeat_mono_ns);
    assert_true(engine < journal && journal < venue);
    assert_false(supervisor_crashed(s));
    assert_null(supervisor_failure(s));
    uint64_t numbers[4];
    uint32_t count;
    assert_int_equal(state_dir_list(supervisor_dir(s), STATE_SNAPSHOT, numbers, 4, &count), ERR_OK);
    assert_int_equal(count, 2);
    assert_int_equal(numbers[0], 0);
    assert_int_equal(numbers[1], 77);
    supervisor_close(s);
    char path[128];
    snprintf(path, sizeof path, "%s/hwal-%u/sup", shm, geteuid());
    assert_int_equal(entries(path), 3); /* the venue's segment: its market goes on when the instance does */
}

static void test_killed_roles_come_back(void **unused)
{
    (void)unused;
    supervisor_t *s = opened();
    turns_until(s, SUPERVISOR_RUNNING);
    static const role_t roles[] = {ROLE_ENGINE, ROLE_SIM, ROLE_JOURNAL, ROLE_VENUE};
    for (size_t i = 0; i < 4; i++) {
        turns_for(s, 100000000); /* everybody has heard of everybody */
        const role_row_t before = *supervisor_row(s, roles[i]);
        const role_t     other  = roles[(i + 1) % 4];
        const uint64_t   news   = count_of(s, other, COUNTER_RECONNECTS);
        const uint32_t   epoch  = supervisor_dir(s)->epoch;
        assert_int_equal(kill(before.pid, SIGKILL), 0);
        turns_until(s, SUPERVISOR_STARTING);
        turns_until(s, SUPERVISOR_RUNNING);
        const role_row_t *after = supervisor_row(s, roles[i]);
        assert_int_not_equal(after->pid, before.pid);
        assert_true(after->gen > before.gen);
        if (after->restarts != 1) {
            fail_msg("%u restarts:\n%s", after->restarts, said);
        }
        assert_int_equal(after->last_exit, -SIGKILL);
        assert_int_equal(supervisor_dir(s)->epoch, epoch + (roles[i] == ROLE_ENGINE));
        turns_for(s, 100000000);
        assert_int_equal(count_of(s, other, COUNTER_RECONNECTS), news + 1);
    }
    assert_non_null(strstr(said, "was killed by signal 9"));
    stopped(s);
    assert_true(supervisor_crashed(s));
    supervisor_close(s);
    char path[128];
    snprintf(path, sizeof path, "%s/hwal-%u/sup", shm, geteuid());
    assert_true(entries(path) > 8); /* evidence */
    /* and the next start goes on: epochs and generations above all there were */
    s = opened();
    turns_until(s, SUPERVISOR_RUNNING);
    assert_int_equal(supervisor_row(s, ROLE_ENGINE)->epoch, 3);
    assert_int_equal(supervisor_dir(s)->boot, 2);
    stopped(s);
    supervisor_close(s);
}

static void test_engine_waits_for_its_last_records(void **unused)
{
    (void)unused;
    plan.engine_writes          = true;
    plan.journal_takes_after_ns = 700000000;
    supervisor_t *s             = opened();
    turns_until(s, SUPERVISOR_RUNNING);
    const int32_t pid = supervisor_row(s, ROLE_ENGINE)->pid;
    kill(pid, SIGKILL);
    turns_until(s, SUPERVISOR_STARTING);
    turns_until(s, SUPERVISOR_RUNNING);
    assert_int_not_equal(supervisor_row(s, ROLE_ENGINE)->pid, pid);
    assert_non_null(strstr(said, "engine waits: the journal role has not yet"));
    stopped(s);
    supervisor_close(s);
}

static void test_fence_is_an_epoch_to_reach(void **unused)
{
    (void)unused;
    supervisor_t *s = opened();
    segment_t     words;
    int           dir;
    size_t        bytes;
    turns_until(s, SUPERVISOR_RUNNING);
    assert_int_equal(segment_dir_open(geteuid(), "sup", false, &dir), ERR_OK);
    assert_int_equal(segment_open(dir, "words", geteuid(), true, &words), ERR_OK);
    words_t *w = segment_find(&words, "words", SEGMENT_WORDS, &bytes);
    assert_int_equal(atomic_load(&w->fence_epoch), 1);
    words_fence_raise(w, 9);
    kill(supervisor_row(s, ROLE_ENGINE)->pid, SIGKILL);
    turns_until(s, SUPERVISOR_STARTING);
    turns_until(s, SUPERVISOR_RUNNING);
    assert_int_equal(supervisor_row(s, ROLE_ENGINE)->epoch, 9);
    assert_int_equal(atomic_load(&w->fence_epoch), 9);
    segment_close(&words);
    close(dir);
    stopped(s);
    supervisor_close(s);
}

static void test_one_supervisor(void **unused)
{
    (void)unused;
    char          want[64];
    supervisor_t *s = opened();
    snprintf(want, sizeof want, "instance sup runs already: supervisor.lock is held by pid %d", getpid());
    refused(want, ERR_EXISTS);
    turns_until(s, SUPERVISOR_RUNNING);
    stopped(s);
    supervisor_close(s);
}

static void test_adoption(void **unused)
{
    (void)unused;
    int32_t *pids = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(pids != MAP_FAILED);
    const pid_t first = fork();
    assert_true(first >= 0);
    if (first == 0) {
        supervisor_t *s = opened();
        turns_until(s, SUPERVISOR_RUNNING);
        for (role_t role = ROLE_ENGINE; role < ROLE_COUNT; role++) {
            pids[role] = supervisor_row(s, role)->pid;
        }
        kill(getpid(), SIGKILL);
    }
    waitpid(first, NULL, 0);
    kill(pids[ROLE_SIM], SIGKILL); /* dead before anybody looks */
    usleep(50000);
    supervisor_cfg_t cfg = stubs();
    supervisor_t    *s   = NULL;
    cfg.anew             = true;
    assert_int_equal(supervisor_open(&cfg, &s), ERR_STATE);
    assert_non_null(strstr(err_msg(), "still run without a supervisor"));
    s = opened();
    assert_true(supervisor_adopted(s));
    turns_until(s, SUPERVISOR_RUNNING);
    assert_int_equal(supervisor_row(s, ROLE_ENGINE)->pid, pids[ROLE_ENGINE]);
    assert_int_equal(supervisor_row(s, ROLE_JOURNAL)->pid, pids[ROLE_JOURNAL]);
    assert_int_equal(supervisor_row(s, ROLE_VENUE)->pid, pids[ROLE_VENUE]);
    assert_int_not_equal(supervisor_row(s, ROLE_SIM)->pid, pids[ROLE_SIM]);
    assert_int_equal(supervisor_dir(s)->epoch, 1); /* its life goes on */
    turns_for(s, 100000000);
    assert_int_equal(count_of(s, ROLE_JOURNAL, COUNTER_RECONNECTS) > 0, 1); /* of the new sim and supervisor */
    kill(pids[ROLE_ENGINE], SIGKILL);
    turns_until(s, SUPERVISOR_STARTING);
    turns_until(s, SUPERVISOR_RUNNING);
    assert_int_equal(supervisor_dir(s)->epoch, 2);
    stopped(s);
    supervisor_close(s);
    munmap(pids, 4096);
}

static void *ask_for_a_lane(void *ctx)
{
    static lane_client_t client;
    err_t               *err = ctx;
    int                  dir;
    *err = segment_dir_open(geteuid(), "sup", false, &dir);
    *err = *err ? *err : lane_lease(&client, dir, "nobody-here", 10 * SECOND_NS);
    close(dir);
    return NULL;
}

static void test_door_outlives_no_supervisor_and_is_opened_by_the_next(void **unused)
{
    (void)unused;
    static char name[] = "desk", user[] = "";
    err_t       err = ERR_OK;
    pthread_t   thread;
    config->lanes.clients       = calloc(1, sizeof *config->lanes.clients);
    config->lanes.clients_count = 1;
    *config->lanes.clients      = (config_client_t){.name = name, .user = user};
    const pid_t first           = fork();
    assert_true(first >= 0);
    if (first == 0) {
        turns_until(opened(), SUPERVISOR_RUNNING);
        kill(getpid(), SIGKILL);
    }
    waitpid(first, NULL, 0);
    ask_for_a_lane(&err);
    assert_int_equal(err, ERR_STATE);
    assert_non_null(strstr(err_msg(), "no supervisor runs"));
    supervisor_t *s = opened();
    assert_true(supervisor_adopted(s));
    assert_int_equal(pthread_create(&thread, NULL, ask_for_a_lane, &err), 0);
    for (const int64_t end = role_mono_ns() + 10 * SECOND_NS; !strstr(said, "has no such client");) {
        assert_true(role_mono_ns() < end);
        supervisor_turn(s, SECOND_NS); /* a caller ends the wait */
    }
    pthread_join(thread, NULL);
    assert_int_equal(err, ERR_NOT_FOUND);
    stopped(s);
    supervisor_close(s);
    ask_for_a_lane(&err);
    assert_int_equal(err, ERR_NOT_FOUND); /* no socket is left */
}

static void test_a_start_that_fails_leaves_nothing(void **unused)
{
    (void)unused;
    char                path[128], command[512];
    int                 status;
    const struct rlimit few   = {100, 100};
    const pid_t         child = fork(); /* the limit cannot be taken back */
    snprintf(path, sizeof path, "%s/hwal-%u", shm, geteuid());
    if (child == 0) {
        setrlimit(RLIMIT_NOFILE, &few);
        refused("100 open files are allowed", ERR_LIMIT);
        _exit(0);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(entries(path), 0);
    assert_int_equal(entries(state), 0);
    /* something is in the way of the third role: the two before it end, and what was made for them goes */
    static const char *const names[] = {"journal.ctl", "venue.ctl", "sim.ctl", "engine.ctl",
                                        "venue.sock",  "sim.fifo",  "words"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(command, sizeof command, "mkdir -p -m 750 %s && mkdir -p -m 750 %s/sup/%s/x", path, path, names[i]);
        assert_int_equal(system(command), 0);
        refused(names[i], strcmp(names[i], "words") == 0 ? ERR_EXISTS : ERR_IO);
        snprintf(command, sizeof command, "%s/sup", path);
        assert_int_equal(entries(command), 3);
        assert_int_equal(entries(state), 0);
        snprintf(command, sizeof command, "rm -r %s", path);
        assert_int_equal(system(command), 0);
    }
    chmod(shm, 0500);
    if (geteuid() != 0) {
        refused("Permission denied", ERR_IO);
    }
    chmod(shm, 0700);
    if (mount("tmpfs", shm, "tmpfs", 0, "size=1m") != 0) {
        print_message("SKIP small tmpfs: mount needs privileges\n");
        return;
    }
    const supervisor_cfg_t cfg  = stubs();
    supervisor_t          *s    = NULL;
    const err_t            err  = supervisor_open(&cfg, &s);
    const uint32_t         left = entries(path);
    umount(shm);
    assert_int_equal(err, ERR_LIMIT);
    assert_non_null(strstr(err_msg(), "bytes of shared memory"));
    assert_int_equal(left, 0);
    assert_int_equal(entries(state), 0);
}

static void test_roles_that_cannot_live_are_given_up(void **unused)
{
    (void)unused;
    if (!getenv("HWAL_SOAK")) {
        print_message("SKIP ten deaths take 25 s: HWAL_SOAK=1 runs it\n");
        return;
    }
    plan.die_at_once[ROLE_SIM] = true;
    supervisor_t *s            = opened();
    for (const int64_t end = role_mono_ns() + 60 * SECOND_NS; supervisor_turn(s, 10000000) != SUPERVISOR_STOPPED;) {
        assert_true(role_mono_ns() < end);
    }
    assert_non_null(strstr(supervisor_failure(s), "role sim is given up: it died 10 times"));
    supervisor_close(s);
}

static void test_state_directory(void **unused)
{
    (void)unused;
    state_dir_t dir;
    char        path[512], text[256];
    assert_int_equal(state_dir_open(config, false, &dir), ERR_OK);
    assert_true(dir.fresh);
    assert_int_equal(dir.epoch, 0);
    dir.first = 1;
    assert_int_equal(state_dir_raise(&dir, 4095, 3), ERR_OK);
    state_dir_t second;
    assert_int_equal(state_dir_open(config, false, &second), ERR_EXISTS);
    const uint64_t session = dir.id.session;
    state_dir_close(&dir);
    assert_int_equal(state_dir_open(config, false, &dir), ERR_OK);
    assert_false(dir.fresh);
    assert_true(dir.epoch == 4095 && dir.boot == 3 && dir.first == 1 && dir.id.session == session);
    assert_int_equal(state_dir_raise(&dir, 4096, 3), ERR_LIMIT);
    assert_non_null(strstr(err_msg(), "epoch 4095, the last one, is used up"));
    state_dir_close(&dir);
    refused("epoch 4095, the last one, is used up", ERR_LIMIT);
    config->engine.orders_max = 2048;
    refused("was made with other settings", ERR_STATE);
    config->engine.orders_max = 1024;
    config->instance          = "other";
    refused("holds the journal of instance sup, not of other", ERR_STATE);
    config->instance = "sup";
    /* a new session: this one is kept */
    assert_int_equal(state_dir_open(config, true, &dir), ERR_OK);
    assert_true(dir.fresh && dir.epoch == 0 && dir.id.session != session);
    dir.first = 1;
    assert_int_equal(state_dir_raise(&dir, 1, 1), ERR_OK);
    state_dir_close(&dir);
    snprintf(path, sizeof path, "%s.old/state", state);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    assert_memory_equal(text, "epoch 4095 boot 4 first 1 session ", 34); /* the refused start was a boot */
    /* a link in its place is not followed */
    snprintf(path, sizeof path, "mv %s %s.real && ln -s %s.real %s", state, state, state, state);
    assert_int_equal(system(path), 0);
    assert_int_equal(state_dir_open(config, false, &dir), ERR_IO);
    assert_non_null(strstr(err_msg(), "symbolic link"));
}

static void test_journal_files(void **unused)
{
    (void)unused;
    state_dir_t dir;
    uint64_t    numbers[8];
    uint32_t    steps = 0, count;
    err_t       err;
    assert_int_equal(state_dir_open(config, false, &dir), ERR_OK);
    while ((err = state_dir_spare(&dir, 256 * 1024)) == ERR_AGAIN) {
        assert_int_equal(state_dir_list(&dir, STATE_JOURNAL, numbers, 8, &count), ERR_OK);
        assert_int_equal(count, 0); /* a half-made one is none */
        steps++;
    }
    assert_int_equal(err, ERR_OK);
    assert_int_equal(steps, 3);
    assert_int_equal(state_dir_bytes(&dir), 1048576);
    assert_false(state_dir_used(&dir, 1));
    const int fd = state_dir_file(&dir, STATE_JOURNAL, 1, O_RDWR);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    close(fd);
    assert_true(state_dir_used(&dir, 1));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(state_dir_spare(&dir, 1048576), ERR_OK);
    }
    assert_int_equal(state_dir_list(&dir, STATE_JOURNAL, numbers, 8, &count), ERR_OK);
    assert_int_equal(count, 5);
    assert_int_equal(state_dir_list(&dir, STATE_JOURNAL, numbers, 2, &count), ERR_OK);
    assert_int_equal(count, 2);
    assert_true(numbers[0] == 4 && numbers[1] == 5);
    assert_int_equal(state_dir_spare(&dir, 1048576), ERR_LIMIT);
    assert_non_null(strstr(err_msg(), "journal.max_bytes 5242880 is reached"));
    state_dir_close(&dir);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(life),
        TEST(killed_roles_come_back),
        TEST(engine_waits_for_its_last_records),
        TEST(fence_is_an_epoch_to_reach),
        TEST(one_supervisor),
        TEST(adoption),
        TEST(door_outlives_no_supervisor_and_is_opened_by_the_next),
        TEST(a_start_that_fails_leaves_nothing),
        TEST(roles_that_cannot_live_are_given_up),
        TEST(state_directory),
        TEST(journal_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
