/* The journal role as a process of its own, on a real ring and real files; this test is the engine and the supervisor.
 * Invariants checked:
 *   - every record that was committed to jrn is on file under its number, in order, and its slot is given back only then
 *   - an orderly stop drains the ring, syncs, says HALT and ends with 0
 *   - killed at any time (SIGKILL) and started anew it goes on without a gap or a repetition, over lives of the engine
 *   - files are changed under way, new ones arrive over its socket; without one it waits and the ring keeps the records
 *   - it ends before RUN, with a sentence, when its files are another journal's or damaged
 *   - a disk that refuses (EFBIG) closes the journal: state FAIL, nothing is taken any more, the process stays; exit 1
 * HWAL_NO_IO_URING=1 runs it on the other half of the seam. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/engine/engine.h"
#include "ipc/role.h"
#include "tests/lib/journal_model.h"
#include "tools/config.h"

#define FILES 8u
#define SESSION 99u

static char              dir[64];
static int               dir_fd;
static config_t         *config;
static int               files[FILES];
static segment_t         words_segment, engine, engine_before, journal;
static lossless_writer_t jrn;
static ring_cursor_t    *taken, *durable;
static control_page_t   *control;
static int               fifo, ctl[2];
static uint32_t          gen;
static uint64_t          records, sequence;

static void nap(void)
{
    usleep(1000);
}

static void make_files(uint32_t bytes)
{
    for (uint32_t i = 0; i < FILES; i++) {
        char name[32];
        if (files[i] > 0) {
            close(files[i]);
        }
        journal_file_name(i + 1, name);
        unlinkat(dir_fd, name, 0);
        files[i] = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_DIRECT, 0600);
        if (files[i] < 0) {
            files[i] = openat(dir_fd, name, O_RDWR | O_CREAT, 0600); /* a file system without direct I/O */
        }
        assert_true(files[i] > 0);
        assert_int_equal(posix_fallocate(files[i], 0, bytes), 0);
    }
    records = sequence = 0;
}

static int make_words(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/hwal-test-journal-XXXXXX");
    assert_non_null(mkdtemp(dir));
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
    setenv("HWAL_JOURNAL_DURABILITY", "power", 1);
    assert_int_equal(config_load(NULL, &config), ERR_OK);
    config->rings.jrn       = 1024; /* less than a configuration may say: it is to be full */
    const segment_cfg_t cfg = {
        .role = "words", .instance = "test", .bytes = SEGMENT_HEAD_BYTES + segment_bytes_for(sizeof(words_t))};
    assert_int_equal(segment_create(dir_fd, &cfg, &words_segment), ERR_OK);
    assert_non_null(segment_add(&words_segment, "words", SEGMENT_WORDS, sizeof(words_t)));
    assert_int_equal(mkfifoat(dir_fd, "journal.fifo", 0600), 0);
    fifo = openat(dir_fd, "journal.fifo", O_RDWR | O_NONBLOCK);
    assert_true(fifo > 0);
    return 0;
}

static int drop_all(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    config_free(config);
    return system(command) == 0 ? 0 : -1;
}

/* A life of the engine: its segment, and the BOOT record. */
static void boot(uint32_t epoch)
{
    size_t bytes;
    engine_before = engine;
    assert_int_equal(topology_segment(ROLE_ENGINE, config, 0, dir_fd, epoch, ++gen, &engine), ERR_OK);
    assert_int_equal(segment_publish(&engine, dir_fd), ERR_OK);
    void *ring = segment_find(&engine, "jrn", SEGMENT_LOSSLESS, &bytes);
    assert_int_equal(lossless_writer_join(&jrn, ring, bytes), ERR_OK);
    lossless_writer_cursor(&jrn, taken);
    model_boot(++records, ++sequence, epoch);
    memcpy(lossless_slot(&jrn, 0), model[records].bytes, model[records].len);
    lossless_meta(&jrn, 0, &(ring_meta_t){.len = model[records].len, .type = MSG_BOOT});
    lossless_commit(&jrn, 1);
}

static void ring_bell(void)
{
    words_t *words = (words_t *)segment_find(&words_segment, "words", SEGMENT_WORDS, &(size_t){0});
    doorbell_ring(&words->bells[ROLE_JOURNAL], fifo);
}

/* One batch; false when the ring has no room for it. */
static bool commit(uint32_t outputs)
{
    if (lossless_room(&jrn, outputs + 1) < outputs + 1) {
        return false;
    }
    model_batch(records + 1, ++sequence, outputs);
    for (uint32_t i = 0; i <= outputs; i++) {
        const model_record_t *record = &model[records + 1 + i];
        memcpy(lossless_slot(&jrn, i), record->bytes, record->len);
        lossless_meta(&jrn, i, &(ring_meta_t){.len = record->len, .type = MSG_TRADE});
    }
    lossless_commit(&jrn, outputs + 1);
    records += outputs + 1;
    ring_bell();
    return true;
}

static pid_t start(uint32_t from, uint32_t count, rlim_t file_limit)
{
    static role_ctx_t ctx;
    size_t            bytes;
    assert_int_equal(topology_segment(ROLE_JOURNAL, config, 0, dir_fd, 0, ++gen, &journal), ERR_OK);
    assert_int_equal(segment_publish(&journal, dir_fd), ERR_OK);
    control = segment_find(&journal, "control", SEGMENT_CONTROL, &bytes);
    durable = segment_find(&journal, "durable", SEGMENT_CURSORS, &bytes);
    taken   = (ring_cursor_t *)segment_find(&journal, "cursors", SEGMENT_CURSORS, &bytes) + RING_ID_JRN;
    ctx     = (role_ctx_t){.role          = ROLE_JOURNAL,
                           .gen           = gen,
                           .session       = SESSION,
                           .config        = config,
                           .instance_dir  = dir,
                           .words_segment = words_segment,
                           .own           = journal,
                           .peer          = {[ROLE_ENGINE] = engine},
                           .peer_before   = {[ROLE_ENGINE] = engine_before}};
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ctl), 0);
    ctx.ctl_fd = ctl[1];
    for (uint32_t i = 0; i < ROLE_COUNT; i++) {
        ctx.fifo[i] = -1;
    }
    ctx.fifo[ROLE_JOURNAL] = fifo;
    for (uint32_t i = 0; i < count; i++) {
        ctx.files[i] = (role_file_t){.fd = files[from + i], .kind = ROLE_FILE_JOURNAL, .number = from + i + 1};
    }
    ctx.file_count = count;
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        role_signals();
        if (file_limit != 0) {
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){file_limit, file_limit});
        }
        _exit(role_join(&ctx) == ERR_OK ? journal_main(&ctx) : 42);
    }
    siginfo_t ended = {0};
    while (atomic_load(&control->state) < ROLE_RUN && ended.si_pid == 0) {
        nap();
        waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT);
    }
    if (engine.head != NULL) {
        lossless_writer_cursor(&jrn, taken);
    }
    return pid;
}

static int wait_for(pid_t pid)
{
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(ctl[0]);
    close(ctl[1]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int stop(pid_t pid)
{
    kill(pid, SIGTERM);
    ring_bell();
    return wait_for(pid);
}

static void send_mail(const role_mail_t *mail, int fd)
{
    union {
        struct cmsghdr align;
        char           bytes[CMSG_SPACE(sizeof(int))];
    } rights             = {0};
    struct iovec  part   = {.iov_base = (void *)(uintptr_t)mail, .iov_len = sizeof *mail};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = rights.bytes, .msg_controllen = sizeof rights.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    c->cmsg_level     = SOL_SOCKET;
    c->cmsg_type      = SCM_RIGHTS;
    c->cmsg_len       = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    assert_int_equal(sendmsg(ctl[0], &header, 0), sizeof *mail);
    ring_bell();
}

static void tell_engine(void)
{
    char name[32];
    snprintf(name, sizeof name, "engine.%u", engine.head->gen);
    const int fd = openat(dir_fd, name, O_RDONLY);
    send_mail(&(role_mail_t){.magic = ROLE_MAIL_MAGIC, .role = ROLE_ENGINE, .gen = engine.head->gen}, fd);
    close(fd);
}

static void tell_file(uint32_t number)
{
    send_mail(&(role_mail_t){.magic = ROLE_MAIL_MAGIC, .file = ROLE_FILE_JOURNAL, .number = number}, files[number - 1]);
}

static bool reaches(_Atomic uint64_t *word, uint64_t value)
{
    for (int i = 0; i < 5000; i++) {
        if (atomic_load(word) >= value) {
            return true;
        }
        nap();
    }
    return false;
}

/* Records on file, all equal to the model; the file must be good to its end. */
static uint64_t on_file(const char **note)
{
    static char        text[256];
    journal_reader_t  *r;
    journal_entry_t    e;
    uint64_t           n  = 0;
    const journal_id_t id = {
        .session = SESSION, .config_hash = config_hash(config), .core_version = ENGINE_CORE_VERSION};
    assert_int_equal(journal_open_dir(dir, &id, &r), ERR_OK);
    err_t err;
    while ((err = journal_next(r, &e)) == ERR_OK) {
        assert_int_equal(e.number, ++n);
        assert_int_equal(e.len, model[n].len);
        assert_memory_equal(e.bytes, model[n].bytes, e.len);
    }
    assert_int_equal(err, ERR_END);
    snprintf(text, sizeof text, "%s", journal_end(r)->note);
    *note = text;
    journal_close(r);
    return n;
}

static void test_journal_role_writes_and_stops(void **state)
{
    (void)state;
    const char *note;
    make_files(1 << 20);
    boot(1);
    const pid_t pid = start(0, 2, 0);
    assert_int_equal(atomic_load(&control->state), ROLE_RUN);
    for (int i = 0; i < 600; i++) {
        while (!commit((uint32_t)(model_rnd() % 6))) {
            nap();
        }
        if (i % 50 == 0) { /* power: soon durable, without any further push */
            assert_true(reaches(&durable->taken, records));
            assert_int_equal(atomic_load(&durable->taken), records);
            assert_true(reaches(&taken->taken, records));
            assert_int_equal(on_file(&note), records);
        }
    }
    assert_int_equal(stop(pid), 0);
    assert_int_equal(atomic_load(&control->state), ROLE_HALT);
    assert_int_equal(atomic_load(&taken->taken), records);
    assert_int_equal(atomic_load(&durable->taken), records);
    assert_int_equal(on_file(&note), records);
    assert_string_equal(note, "");
}

static void test_journal_role_killed_at_any_time(void **state)
{
    (void)state;
    const char *note;
    uint32_t    first = 0; /* file that is handed over first */
    make_files(1 << 20);
    engine = engine_before = (segment_t){.fd = -1};
    boot(11);
    uint64_t life = 0;
    for (uint32_t round = 0; round < 24; round++) {
        const pid_t pid = start(first, FILES - first, 0);
        assert_int_equal(atomic_load(&control->state), ROLE_RUN);
        const uint64_t until = records + model_rnd() % 300;
        while (records < until) {
            while (!commit((uint32_t)(model_rnd() % 6))) {
                nap();
            }
        }
        if (round % 3 == 2) { /* a new engine, when the old one's records are on file */
            assert_true(reaches(&taken->taken, records - life));
            life = records;
            boot(12 + round);
            tell_engine();
            assert_true(commit(2));
        }
        usleep((useconds_t)(model_rnd() % 3000));
        kill(pid, SIGKILL);
        assert_int_equal(wait_for(pid), -SIGKILL);
        const uint64_t seen = atomic_load(&taken->taken);
        const uint64_t file = on_file(&note);
        assert_true(seen > records - life || file >= life + seen); /* taken may be of the ring before */
        assert_true(file <= records);
    }
    const pid_t pid = start(first, FILES - first, 0);
    assert_true(commit(1));
    assert_int_equal(stop(pid), 0);
    assert_int_equal(on_file(&note), records);
    assert_string_equal(note, "");
    assert_int_equal(atomic_load(&taken->taken), records - life);
}

static uint32_t descriptors(pid_t pid)
{
    char     path[64];
    uint32_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *list = opendir(path);
    assert_non_null(list);
    while (readdir(list)) {
        n++;
    }
    closedir(list);
    return n;
}

static void test_journal_role_changes_files(void **state)
{
    (void)state;
    const char *note;
    make_files(64 * 1024);
    engine = engine_before = (segment_t){.fd = -1};
    const pid_t pid        = start(0, 2, 0);
    boot(50);
    tell_engine();
    while (commit(5) || !atomic_load(&taken->taken)) { /* until no file and then no slot is left */
        usleep(200);
    }
    usleep(50000);
    const uint64_t stuck = atomic_load(&taken->taken);
    assert_true(stuck > 0 && stuck < records && atomic_load(&control->state) == ROLE_RUN);
    const uint32_t open_before = descriptors(pid);
    for (int i = 0; i < 300;
         i++) { /* one that it has, as an adopting supervisor offers: no place and no word of it is kept */
        tell_file(2);
        usleep(i % 8 ? 0 : 2000);
    }
    usleep(20000);
    assert_int_equal(descriptors(pid), open_before);
    for (uint32_t number = 3; number <= FILES; number++) {
        tell_file(number);
    }
    assert_true(reaches(&taken->taken, records < stuck + 400 ? records : stuck + 400));
    if (atomic_load(&taken->taken) == records) {
        assert_int_equal(stop(pid), 0);
        assert_int_equal(on_file(&note), records);
        assert_string_equal(note, "");
    } else {
        kill(pid, SIGKILL);
        wait_for(pid);
    }
}

static void test_journal_role_refuses_damaged_files(void **state)
{
    (void)state;
    char        page[64];
    const char *note;
    make_files(1 << 20);
    engine = engine_before = (segment_t){.fd = -1};
    boot(60);
    pid_t pid = start(0, 1, 0);
    for (int i = 0; i < 100; i++) {
        assert_true(commit(3));
    }
    assert_true(reaches(&durable->taken, records));
    assert_int_equal(stop(pid), 0);
    assert_int_equal(on_file(&note), records);
    const int fd = openat(dir_fd, "000001.hj", O_RDWR);
    assert_int_equal(pread(fd, page, sizeof page, 5000), sizeof page);
    page[3] ^= 1;
    assert_int_equal(pwrite(fd, page, sizeof page, 5000), sizeof page);
    assert_int_equal(fsync(fd), 0);
    pid = start(0, 1, 0);
    assert_int_equal(wait_for(pid), 1);
    assert_int_equal(atomic_load(&control->state), ROLE_FAIL);
    page[3] ^= 1;
    assert_int_equal(pwrite(fd, page, sizeof page, 5000), sizeof page);
    assert_int_equal(fsync(fd), 0);
    setenv("HWAL_ENGINE_ORDERS_MAX", "4096", 1); /* another configuration */
    config_t *before = config;
    assert_int_equal(config_load(NULL, &config), ERR_OK);
    if (config_hash(config) != config_hash(before)) {
        pid = start(0, 1, 0);
        assert_int_equal(wait_for(pid), 1);
        assert_int_equal(atomic_load(&control->state), ROLE_FAIL);
    }
    config_free(config);
    config = before;
    unsetenv("HWAL_ENGINE_ORDERS_MAX");
    pid = start(0, 1, 0);
    assert_int_equal(atomic_load(&control->state), ROLE_RUN);
    assert_int_equal(stop(pid), 0);
    close(fd);
}

static void test_journal_role_closes_when_the_disk_refuses(void **state)
{
    (void)state;
    const char *note;
    make_files(1 << 20);
    engine = engine_before = (segment_t){.fd = -1};
    boot(70);
    const pid_t pid = start(0, 2, 256 * 1024); /* the kernel refuses to write behind it */
    for (int i = 0; i < 5000 && atomic_load(&control->state) == ROLE_RUN; i++) {
        if (!commit(5)) {
            nap();
        }
    }
    assert_int_equal(atomic_load(&control->state), ROLE_FAIL);
    const uint64_t at = atomic_load(&taken->taken), safe = atomic_load(&durable->taken);
    const int64_t  beat = atomic_load(&control->heartbeat_mono_ns);
    commit(5);
    usleep(300000);
    assert_int_equal(atomic_load(&taken->taken), at); /* nothing is acknowledged after it */
    assert_int_equal(atomic_load(&durable->taken), safe);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it stays, lest it be started again */
    assert_true(atomic_load(&control->heartbeat_mono_ns) > beat);
    assert_int_equal(stop(pid), 1);
    assert_int_equal(atomic_load(&control->state), ROLE_FAIL);
    assert_true(on_file(&note) >= at);
}

int main(void)
{
    const char *given = getenv("HWAL_SEED");
    model_seed        = given != NULL ? strtoull(given, NULL, 0) : 20251121;
    printf("HWAL_SEED=%llu\n", (unsigned long long)model_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal_role_writes_and_stops),
        cmocka_unit_test(test_journal_role_killed_at_any_time),
        cmocka_unit_test(test_journal_role_changes_files),
        cmocka_unit_test(test_journal_role_refuses_damaged_files),
        cmocka_unit_test(test_journal_role_closes_when_the_disk_refuses),
    };
    return cmocka_run_group_tests(tests, make_words, drop_all);
}
