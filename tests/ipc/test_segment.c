/* Invariants of segments:
 *   - nobody sees a half-made one: until publish there is no name, and whoever dies before leaves nothing
 *   - what is opened is what was created: same objects, same bytes; a reader's write faults; its files are its owner's
 *   - every flipped bit of the head's page but pid's is refused by name; with the check value made good again, each is
 *     refused or harmless: nothing crashes (P7)
 *   - no room is a sentence with bytes wanted and free, and nothing left behind (P12)
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>

#include <cmocka.h>

#include "core/types/hash.h"
#include "ipc/control.h"
#include "ipc/counters.h"
#include "ipc/records.h"
#include "ipc/ring_broadcast.h"
#include "ipc/ring_lossless.h"
#include "ipc/segment.h"
#include "ipc/words.h"
#include "tests/lib/seeded.h"

static char root[64];
static int  dir = -1;

static int set_up(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "%s", "/dev/shm/segment-test-XXXXXX");
    MUST(mkdtemp(root) != NULL && setenv("HWAL_SHM", root, 1) == 0);
    MUST(segment_dir_open(geteuid(), "t", true, &dir) == ERR_OK);
    return 0;
}

static void remove_tree(const char *path)
{
    DIR *d = opendir(path);
    if (d != NULL) {
        for (const struct dirent *e; (e = readdir(d)) != NULL;) {
            char inner[600];
            snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
            if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlink(inner) != 0) {
                remove_tree(inner);
            }
        }
        closedir(d);
    }
    rmdir(path);
}

static int tear_down(void **state)
{
    (void)state;
    close(dir);
    remove_tree(root);
    return 0;
}

static int entries(int dir_fd) /* files in it; -1 is not one */
{
    int  count = 0;
    DIR *d     = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY));
    MUST(d != NULL);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        count += e->d_name[0] != '.';
    }
    closedir(d);
    return count;
}

static int open_fds(void)
{
    int  count = 0;
    DIR *d     = opendir("/proc/self/fd");
    while (readdir(d) != NULL) {
        count++;
    }
    closedir(d);
    return count;
}

static segment_cfg_t cfg_of(const char *role, uint32_t gen, uint64_t bytes)
{
    return (segment_cfg_t){
        .role = role, .instance = "t", .epoch = 9, .gen = gen, .bytes = bytes, .build_id = "0123456789ab-dirty"};
}

/* ---- a segment with one object of every kind ------------------------------------------------------------------------- */
enum { SLOTS = 4, STRIDE = 64 };

static const struct {
    const char    *name;
    segment_kind_t kind;
} all[] = {{"control", SEGMENT_CONTROL}, {"md", SEGMENT_BROADCAST},  {"jrn", SEGMENT_LOSSLESS},
           {"cursors", SEGMENT_CURSORS}, {"books", SEGMENT_RECORDS}, {"counters", SEGMENT_COUNTERS},
           {"event", SEGMENT_HISTOGRAM}, {"words", SEGMENT_WORDS},   {"state", SEGMENT_BLOB}};
enum { ALL = sizeof(all) / sizeof(all[0]) };

static size_t size_of(segment_kind_t kind)
{
    switch (kind) {
    case SEGMENT_CONTROL: return sizeof(control_page_t);
    case SEGMENT_BROADCAST: return ring_broadcast_footprint(SLOTS, STRIDE);
    case SEGMENT_LOSSLESS: return ring_lossless_footprint(SLOTS, STRIDE);
    case SEGMENT_CURSORS: return 3 * sizeof(ring_cursor_t);
    case SEGMENT_RECORDS: return records_footprint(3, STRIDE);
    case SEGMENT_COUNTERS: return counters_footprint();
    case SEGMENT_HISTOGRAM: return 2048; /* a whole one would only be more pages, mapped 37,000 times */
    case SEGMENT_WORDS: return sizeof(words_t);
    default: return 100;
    }
}

static void format_all(segment_t *seg)
{
    static const uint64_t word = 0x1234567;
    for (size_t i = 0; i < ALL; i++) {
        const size_t bytes = size_of(all[i].kind);
        void        *mem   = segment_add(seg, all[i].name, all[i].kind, bytes);
        MUST(mem != NULL && (uintptr_t)mem % 128 == 0);
        for (size_t b = 0; b < bytes; b++) {
            MUST(((const uint8_t *)mem)[b] == 0);
        }
        if (all[i].kind == SEGMENT_BROADCAST) {
            ring_writer_t w;
            MUST(ring_broadcast_new(mem, SLOTS, STRIDE) == mem && ring_writer_join(&w, mem, bytes) == ERR_OK);
            ring_publish(&w, &(ring_meta_t){.len = 8, .type = 3}, &word);
        } else if (all[i].kind == SEGMENT_LOSSLESS) {
            lossless_writer_t w;
            MUST(ring_lossless_new(mem, SLOTS, STRIDE) == mem && lossless_writer_join(&w, mem, bytes) == ERR_OK);
            MUST(lossless_put(&w, &(ring_meta_t){.len = 8, .type = 3}, &word) == ERR_OK);
        } else if (all[i].kind == SEGMENT_RECORDS) {
            records_writer_t w;
            MUST(records_new(mem, 3, STRIDE) == mem && records_writer_join(&w, mem, bytes) == ERR_OK);
            memcpy(records_begin(&w, 1), &word, 8);
            records_end(&w, 1, &(ring_meta_t){.len = 8, .type = 3});
        } else if (all[i].kind == SEGMENT_COUNTERS) {
            counters_new(mem);
        } else {
            memset(mem, 0x5a, bytes);
        }
    }
}

static uint64_t all_bytes(void)
{
    uint64_t bytes = SEGMENT_HEAD_BYTES;
    for (size_t i = 0; i < ALL; i++) {
        bytes += segment_bytes_for(size_of(all[i].kind));
    }
    return bytes;
}

/* Find and join everything, read what can be read, touch every byte that it claims. How many joined. */
static unsigned use_all(const segment_t *seg)
{
    unsigned            joined = 0;
    _Alignas(8) uint8_t buf[STRIDE];
    ring_meta_t         meta;
    for (size_t i = 0; i < ALL; i++) {
        size_t      bytes = 0;
        const void *mem   = segment_find(seg, all[i].name, all[i].kind, &bytes);
        if (mem == NULL) {
            continue;
        }
        uint64_t sum = 0;
        MUST((const uint8_t *)mem >= (const uint8_t *)seg->head + SEGMENT_HEAD_BYTES);
        MUST((const uint8_t *)mem + bytes <= (const uint8_t *)seg->head + seg->bytes);
        for (size_t b = 0; b < bytes; b += 64) {
            sum += ((const uint8_t *)mem)[b];
        }
        ring_reader_t     r;
        lossless_reader_t l;
        records_reader_t  rec;
        const counters_t *c;
        const void       *payload;
        uint64_t          version;
        if (all[i].kind == SEGMENT_BROADCAST) {
            const bool ok = ring_reader_join(&r, mem, bytes, RING_OLDEST) == ERR_OK;
            joined += ok && ring_read(&r, buf, sizeof(buf), &meta) == ERR_OK && meta.type == 3;
        } else if (all[i].kind == SEGMENT_LOSSLESS) {
            const bool ok = lossless_reader_join(&l, mem, bytes, NULL, 0) == ERR_OK;
            joined += ok && lossless_peek(&l, &meta, &payload) == ERR_OK && lossless_written(&l) == 1;
        } else if (all[i].kind == SEGMENT_RECORDS) {
            const bool ok = records_reader_join(&rec, mem, bytes) == ERR_OK;
            joined += ok && records_read(&rec, 1, buf, sizeof(buf), &meta, &version) == ERR_OK;
        } else if (all[i].kind == SEGMENT_COUNTERS) {
            const bool ok = counters_join(mem, bytes, &c) == ERR_OK;
            joined += ok && counter_get(c, COUNTER_RESTARTS) == 0;
        } else {
            joined += bytes == size_of(all[i].kind) && sum > 0;
        }
    }
    return joined;
}

/* ---- directories ----------------------------------------------------------------------------------------------------- */
static void test_segment_dir_is_ours_or_refused(void **state)
{
    (void)state;
    char  path[128], want[128];
    int   fd = -1;
    uid_t me = geteuid();
    assert_int_equal(segment_dir_path(me, "demo", path, sizeof(path)), ERR_OK);
    snprintf(want, sizeof(want), "%s/hwal-%u/demo", root, me);
    assert_string_equal(path, want);
    assert_int_equal(segment_dir_path(me, "demo", path, strlen(want)), ERR_ARG);
    static const char *const bad[] = {"", ".", "..", "a/b", "a b", "-x", "1234567890123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(segment_dir_path(me, bad[i], path, sizeof(path)), ERR_ARG);
        assert_int_equal(segment_dir_open(me, bad[i], true, &fd), ERR_ARG);
    }
    unsetenv("HWAL_SHM");
    assert_int_equal(segment_dir_path(1234, "demo", path, sizeof(path)), ERR_OK);
    assert_string_equal(path, "/dev/shm/hwal-1234/demo");
    setenv("HWAL_SHM", root, 1);

    assert_int_equal(segment_dir_open(me, "new", false, &fd), ERR_NOT_FOUND);
    assert_int_equal(segment_dir_open(me + 1, "new", true, &fd), ERR_ARG);
    const mode_t mask = umask(0077);
    assert_int_equal(segment_dir_open(me, "new", true, &fd), ERR_OK);
    umask(mask);
    struct stat st;
    fstat(fd, &st);
    assert_int_equal(st.st_mode & 07777, 0750);
    close(fd);
    assert_int_equal(segment_dir_open(me, "new", true, &fd), ERR_OK); /* it is there: fine */
    fchmod(fd, 0770);
    close(fd);
    assert_int_equal(segment_dir_open(me, "new", false, &fd), ERR_STATE);
    assert_non_null(strstr(err_msg(), "mode 770"));
    snprintf(want, sizeof(want), "%s/hwal-%u/link", root, me);
    assert_int_equal(symlink(".", want), 0);
    assert_int_equal(segment_dir_open(me, "link", false, &fd), ERR_IO);
    snprintf(want, sizeof(want), "%s/hwal-%u", root, me + 1); /* squatting: our name, another's directory */
    assert_int_equal(mkdir(want, 0750), 0);
    assert_int_equal(segment_dir_open(me + 1, "t", false, &fd), ERR_STATE);
    assert_non_null(strstr(err_msg(), "owner"));
}

/* ---- making ---------------------------------------------------------------------------------------------------------- */
static void test_segment_is_nowhere_until_it_is_whole(void **state)
{
    (void)state;
    segment_t           seg, read;
    const segment_cfg_t cfg    = cfg_of("engine", 7, all_bytes());
    const int           before = entries(dir);
    const int           fds    = open_fds();
    const mode_t        mask   = umask(0077);
    assert_int_equal(segment_create(dir, &cfg, &seg), ERR_OK);
    umask(mask);
    format_all(&seg);
    assert_int_equal(entries(dir), before);
    assert_int_equal(segment_open(dir, "engine.7", geteuid(), false, &read), ERR_NOT_FOUND);
    assert_int_equal(segment_publish(&seg, dir), ERR_OK);
    assert_int_equal(entries(dir), before + 1);
    struct stat st;
    fstat(seg.fd, &st);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_size % 4096, 0);
    assert_true((uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size); /* real memory, no holes */

    assert_int_equal(segment_open(dir, "engine.7", geteuid(), false, &read), ERR_OK);
    assert_int_equal(read.head->epoch, 9);
    assert_int_equal(read.head->gen, 7);
    assert_int_equal(read.head->pid, 0);
    assert_int_equal(read.head->uid, geteuid());
    assert_true(read.head->created_utc_ns > 1500000000000000000);
    assert_string_equal(read.head->role, "engine");
    assert_string_equal(read.head->instance, "t");
    assert_string_equal(read.head->build_id, "0123456789ab-dirty");
    assert_int_equal(read.head->object_count, ALL);
    assert_int_equal(use_all(&read), ALL);
    size_t bytes;
    assert_null(segment_find(&read, "md", SEGMENT_LOSSLESS, &bytes)); /* of another kind */
    assert_null(segment_find(&read, "m", SEGMENT_BROADCAST, &bytes));
    assert_null(segment_find(&read, "", SEGMENT_KIND_NONE, &bytes));
    assert_non_null(segment_part(&read, "control", SEGMENT_CONTROL, sizeof(control_page_t)));
    assert_null(segment_part(&read, "control", SEGMENT_CONTROL, sizeof(control_page_t) + 1)); /* smaller than that */
    assert_null(segment_part(&read, "controls", SEGMENT_CONTROL, 1));
    assert_null(segment_part(&(segment_t){.fd = -1}, "control", SEGMENT_CONTROL, 1));
    seg.head->pid = getpid(); /* the writer runs */
    segment_close(&read);
    assert_int_equal(segment_open(dir, "engine.7", geteuid(), true, &read), ERR_OK);
    assert_int_equal(read.head->pid, getpid());
    segment_close(&read);
    segment_close(&read); /* nothing happens */

    segment_t twin;
    assert_int_equal(segment_create(dir, &cfg, &twin), ERR_OK);
    assert_int_equal(segment_publish(&twin, dir), ERR_EXISTS);
    segment_close(&twin);
    segment_close(&seg);
    assert_int_equal(entries(dir), before + 1);
    assert_int_equal(open_fds(), fds);

    const segment_cfg_t plain = cfg_of("words", 0, 8192);
    assert_int_equal(segment_create(dir, &plain, &seg), ERR_OK);
    assert_int_equal(segment_publish(&seg, dir), ERR_OK);
    segment_close(&seg);
    assert_int_equal(segment_open(dir, "words", geteuid(), true, &read), ERR_OK);
    segment_close(&read);
}

static void test_segment_create_and_add_refuse_by_name(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a/b", ".a", "123456789012345678901234"};
    segment_t                seg;
    segment_cfg_t            cfg;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cfg = cfg_of(bad[i], 1, 8192);
        assert_int_equal(segment_create(dir, &cfg, &seg), ERR_ARG);
        cfg          = cfg_of("x", 1, 8192);
        cfg.instance = i < 3 ? bad[i] : "1234567890123456789012345678901234567890";
        assert_int_equal(segment_create(dir, &cfg, &seg), ERR_ARG);
    }
    cfg = cfg_of("x", 1, SEGMENT_HEAD_BYTES - 1);
    assert_int_equal(segment_create(dir, &cfg, &seg), ERR_ARG);
    cfg = cfg_of("x", 1, SEGMENT_HEAD_BYTES + SEGMENT_OBJECTS_MAX * 128 + 4096);
    assert_int_equal(segment_create(dir, &cfg, &seg), ERR_OK);
    assert_null(segment_add(&seg, "big", SEGMENT_BLOB, seg.bytes));
    assert_non_null(strstr(err_msg(), "big"));
    assert_null(segment_add(&seg, "big", SEGMENT_BLOB, SIZE_MAX));
    for (unsigned i = 0; i < SEGMENT_OBJECTS_MAX; i++) {
        char name[24];
        snprintf(name, sizeof(name), "object%u", i);
        assert_non_null(segment_add(&seg, name, SEGMENT_BLOB, 1 + i));
        assert_null(segment_add(&seg, name, SEGMENT_BLOB, 1));
        assert_non_null(strstr(err_msg(), name));
    }
    assert_null(segment_add(&seg, "onemore", SEGMENT_BLOB, 1));
    assert_non_null(strstr(err_msg(), "the limit"));
    assert_null(segment_add(&seg, "a name with spaces", SEGMENT_BLOB, 1));
    segment_close(&seg);
    cfg = cfg_of("x", 1, 128 + SEGMENT_HEAD_BYTES);
    assert_int_equal(segment_create(dir, &cfg, &seg), ERR_OK); /* to the last byte of its page */
    assert_non_null(segment_add(&seg, "all", SEGMENT_BLOB, 4096 - 128));
    assert_non_null(segment_add(&seg, "rest", SEGMENT_BLOB, 128));
    assert_null(segment_add(&seg, "over", SEGMENT_BLOB, 1));
    segment_close(&seg);
}

static void test_segment_of_a_creator_that_died_is_gone(void **state)
{
    (void)state;
    const int   before = entries(dir);
    const pid_t pid    = fork();
    if (pid == 0) {
        segment_t           seg;
        const segment_cfg_t cfg = cfg_of("dead", 3, all_bytes());
        MUST(segment_create(dir, &cfg, &seg) == ERR_OK);
        format_all(&seg);
        raise(SIGKILL);
    }
    MUST(waitpid(pid, NULL, 0) == pid);
    assert_int_equal(entries(dir), before);
}

static void test_segment_without_descriptors_is_refused_clean(void **state)
{
    (void)state;
    const int     before = entries(dir);
    segment_t     seg;
    struct rlimit old, none;
    getrlimit(RLIMIT_NOFILE, &old);
    none                    = old;
    none.rlim_cur           = 3;
    const segment_cfg_t cfg = cfg_of("x", 1, 8192);
    setrlimit(RLIMIT_NOFILE, &none);
    const err_t made   = segment_create(dir, &cfg, &seg);
    const err_t opened = segment_open(dir, "words", geteuid(), false, &seg);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(made, ERR_IO);
    assert_int_equal(opened, ERR_IO);
    assert_non_null(strstr(err_msg(), "open files"));
    assert_int_equal(entries(dir), before);
}

/* ---- reading --------------------------------------------------------------------------------------------------------- */
static void publish_one(const char *role, uint32_t gen, segment_t *seg)
{
    const segment_cfg_t cfg = cfg_of(role, gen, all_bytes());
    MUST(segment_create(dir, &cfg, seg) == ERR_OK);
    format_all(seg);
    MUST(segment_publish(seg, dir) == ERR_OK);
}

static void test_segment_reader_cannot_write(void **state)
{
    (void)state;
    segment_t seg, read;
    publish_one("ro", 1, &seg);
    const pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        const struct rlimit no_core = {0};
        setrlimit(RLIMIT_CORE, &no_core);
        MUST(segment_open(dir, "ro.1", geteuid(), false, &read) == ERR_OK);
        __atomic_store_n(&((uint8_t *)read.head)[SEGMENT_HEAD_BYTES], 1, __ATOMIC_RELAXED);
        _exit(0);
    }
    int status;
    MUST(waitpid(pid, &status, 0) == pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    segment_close(&seg);
}

static void refused(const char *name, err_t want, const char *word)
{
    segment_t   read = {.fd = -7};
    const int   fds  = open_fds();
    const err_t err  = segment_open(dir, name, geteuid(), false, &read);
    if (err != want || strstr(err_msg(), word) == NULL) {
        print_error("%s: %s: %s; wanted %s with \"%s\"\n", name, err_str(err), err_msg(), err_str(want), word);
    }
    assert_int_equal(err, want);
    assert_non_null(strstr(err_msg(), word));
    assert_int_equal(read.fd, -7);
    assert_int_equal(open_fds(), fds);
}

static void test_segment_open_refuses_by_name(void **state)
{
    (void)state;
    segment_t seg, read;
    publish_one("bad", 5, &seg);
    refused("bad.6", ERR_NOT_FOUND, "bad.6");
    refused("../t/bad.5", ERR_ARG, "letters");
    assert_int_equal(symlinkat("bad.5", dir, "link"), 0);
    refused("link", ERR_STATE, "symbolic link");
    assert_int_equal(mkfifoat(dir, "pipe", 0600), 0);
    refused("pipe", ERR_STATE, "regular");
    assert_int_equal(mkdirat(dir, "folder", 0700), 0);
    refused("folder", ERR_STATE, "regular");
    close(openat(dir, "short", O_CREAT | O_RDWR, 0600));
    refused("short", ERR_PARSE, "head");
    assert_int_equal(linkat(dir, "bad.5", dir, "bad.50", 0), 0);
    refused("bad.50", ERR_PARSE, "bad.5");
    assert_int_equal(segment_open(dir, "bad.5", geteuid() + 1, false, &read), ERR_STATE);
    assert_non_null(strstr(err_msg(), "owner"));
    for (mode_t bit = 1; bit <= 0200; bit *= 2) {
        fchmod(seg.fd, 0640 | bit);
        if (bit & 022) {
            refused("bad.5", ERR_STATE, "nobody else may write");
        }
    }
    fchmod(seg.fd, 0640);

    segment_head_t      *head = seg.head;
    const segment_head_t good = *head;
    head->magic               = __builtin_bswap64(head->magic);
    refused("bad.5", ERR_UNSUPPORTED, "byte order");
    head->magic = 0; /* not published */
    refused("bad.5", ERR_PARSE, "magic");
    head->magic = good.magic;
    head->version++;
    refused("bad.5", ERR_UNSUPPORTED, "version 2, this build reads 1");
    head->version = good.version;
    head->layout_hash++;
    refused("bad.5", ERR_UNSUPPORTED, "layout hash");
    head->layout_hash  = good.layout_hash;
    head->object_count = SEGMENT_OBJECTS_MAX + 1;
    refused("bad.5", ERR_PARSE, "object count 49, limit 48");
    head->object_count = good.object_count;
    head->uid++;
    refused("bad.5", ERR_PARSE, "uid");
    *head = good;
    memset(head->role, 'x', sizeof(head->role)); /* without an end */
    refused("bad.5", ERR_PARSE, "role");
    *head = good;
    memset(head->build_id, 'x', sizeof(head->build_id));
    refused("bad.5", ERR_PARSE, "build id");
    *head                     = good;
    segment_object_t *const o = &head->objects[3];
    o->offset += 64;
    refused("bad.5", ERR_PARSE, "object 3 (cursors): offset");
    o->offset = 0;
    refused("bad.5", ERR_PARSE, "offset 0");
    o->offset = head->bytes + 128;
    refused("bad.5", ERR_PARSE, "offset");
    *head    = good;
    o->bytes = head->bytes - o->offset + 1;
    refused("bad.5", ERR_PARSE, "object 3 (cursors): bytes");
    o->bytes = 0;
    refused("bad.5", ERR_PARSE, "bytes 0");
    o->bytes = UINT64_MAX;
    refused("bad.5", ERR_PARSE, "bytes");
    *head   = good;
    o->kind = SEGMENT_BLOB + 1;
    refused("bad.5", ERR_PARSE, "kind 11");
    *head      = good;
    o->name[0] = 0;
    refused("bad.5", ERR_PARSE, "object 3: its name");
    *head = good;
    head->build_id[0]++;
    refused("bad.5", ERR_PARSE, "check value");
    *head = good;
    assert_int_equal(ftruncate(seg.fd, (off_t)seg.bytes - 4096), 0);
    refused("bad.5", ERR_PARSE, "bytes");
    assert_int_equal(ftruncate(seg.fd, (off_t)seg.bytes + 4096), 0);
    refused("bad.5", ERR_PARSE, "bytes");
    assert_int_equal(ftruncate(seg.fd, 4095), 0);
    refused("bad.5", ERR_PARSE, "4095");
    segment_close(&seg);
    assert_int_equal(segment_open_fd(openat(dir, "short", O_RDONLY), geteuid(), false, &read), ERR_PARSE);
    const int fds = open_fds();
    assert_int_equal(segment_open_fd(openat(dir, "folder", O_RDONLY), geteuid(), false, &read), ERR_STATE);
    assert_int_equal(open_fds(), fds);
}

/* R10: another build of the same layout is read. */
static void test_segment_of_another_build_is_read(void **state)
{
    (void)state;
    segment_t     seg, read;
    segment_cfg_t cfg = cfg_of("other", 1, 8192);
    cfg.build_id      = "ffffffffffff";
    assert_int_equal(segment_create(dir, &cfg, &seg), ERR_OK);
    assert_int_equal(segment_publish(&seg, dir), ERR_OK);
    assert_int_equal(segment_open_fd(dup(seg.fd), geteuid(), false, &read), ERR_OK);
    assert_string_equal(read.head->build_id, "ffffffffffff");
    segment_close(&read);
    segment_close(&seg);
}

/* ---- P7 -------------------------------------------------------------------------------------------------------------- */
static uint64_t model_check(const segment_head_t *head)
{
    union {
        segment_head_t head;
        uint8_t        page[SEGMENT_HEAD_BYTES];
    } copy;
    memcpy(copy.page, head, sizeof(copy.page));
    copy.head.pid   = 0;
    copy.head.check = 0;
    return hash_bytes(0, copy.page, sizeof(copy.page));
}

/* Flip every bit from..to of the head's page; sealed: as if its writer had meant it. How many were refused. */
static unsigned flip_bits(const segment_t *seg, const char *name, unsigned from, unsigned to, bool sealed)
{
    uint8_t       *page     = (uint8_t *)seg->head;
    const uint64_t check    = seg->head->check;
    unsigned       refusals = 0;
    for (unsigned bit = from; bit < to; bit++) {
        segment_t read;
        page[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (sealed) {
            seg->head->check = model_check(seg->head);
        }
        const err_t err = segment_open(dir, name, geteuid(), false, &read);
        if (err == ERR_OK) {
            use_all(&read);
            segment_close(&read);
        } else {
            if (err != ERR_PARSE && err != ERR_UNSUPPORTED) {
                fail_msg("bit %u: %s: %s", bit, err_str(err), err_msg());
            }
            refusals++;
        }
        page[bit / 8] ^= (uint8_t)(1u << bit % 8);
        seg->head->check = check;
    }
    return refusals;
}

static void test_P7_every_flipped_bit_of_the_header(void **state)
{
    (void)state;
    segment_t      seg, read;
    const unsigned pid_bit = offsetof(segment_head_t, pid) * 8;
    publish_one("flip", 2, &seg);
    assert_int_equal(seg.head->check, model_check(seg.head));
    const unsigned refused_all = flip_bits(&seg, "flip.2", 0, SEGMENT_HEAD_BYTES * 8, false);
    assert_int_equal(refused_all, SEGMENT_HEAD_BYTES * 8 - 32);
    assert_int_equal(flip_bits(&seg, "flip.2", pid_bit, pid_bit + 32, false), 0);
    /* sealed: the fields and the objects that there are; then the whole table believes nothing it must not */
    const unsigned table_end = (offsetof(segment_head_t, objects) + ALL * sizeof(segment_object_t)) * 8;
    const unsigned refusals  = flip_bits(&seg, "flip.2", 0, table_end, true);
    printf("P7 corrupt segment header: %u of %u bits flipped, %u refused by name, the 32 of pid harmless (bar: all); "
           "with a "
           "check value made good again %u of %u refused, the others harmless\n",
           SEGMENT_HEAD_BYTES * 8, SEGMENT_HEAD_BYTES * 8, refused_all, refusals, table_end);
    assert_true(refusals > table_end / 4);
    assert_int_equal(segment_open(dir, "flip.2", geteuid(), false, &read), ERR_OK);
    assert_int_equal(use_all(&read), ALL);
    segment_close(&read);
    segment_close(&seg);
}

/* ---- P11 ------------------------------------------------------------------------------------------------------------- */
/* Each as a writer of that kind would have made it: with a check value that is right. */
static void test_P11_other_versions_order_and_page_size(void **state)
{
    (void)state;
    segment_t seg, read;
    publish_one("other", 11, &seg);
    segment_head_t *const head = seg.head;
    const segment_head_t  good = *head;
    char                  both[128];
    head->version = SEGMENT_VERSION + 1; /* newer major */
    head->check   = model_check(head);
    snprintf(both, sizeof(both), "version %u, this build reads %u", SEGMENT_VERSION + 1, SEGMENT_VERSION);
    refused("other.11", ERR_UNSUPPORTED, both);
    head->version = SEGMENT_VERSION - 1; /* older */
    head->check   = model_check(head);
    snprintf(both, sizeof(both), "version %u, this build reads %u", SEGMENT_VERSION - 1, SEGMENT_VERSION);
    refused("other.11", ERR_UNSUPPORTED, both);
    *head             = good;
    head->layout_hash = ~good.layout_hash; /* another layout of the same version */
    head->check       = model_check(head);
    snprintf(both, sizeof(both), "layout hash %016llx, this build reads %016llx", (unsigned long long)~good.layout_hash,
             (unsigned long long)good.layout_hash);
    refused("other.11", ERR_UNSUPPORTED, both);
    *head       = good;
    head->magic = __builtin_bswap64(good.magic); /* whatever else it says, nobody knows */
    refused("other.11", ERR_UNSUPPORTED, "big-endian, another machine's byte order; this build reads little-endian");
    *head = good;
    snprintf(head->build_id, sizeof(head->build_id),
             "a-newer-build"); /* newer minor: the layout hash says what can be read */
    head->check = model_check(head);
    assert_int_equal(segment_open(dir, "other.11", geteuid(), false, &read), ERR_OK);
    assert_int_equal(use_all(&read), ALL);
    segment_close(&read);
    segment_close(&seg);
    /* other page size: no layout depends on it: a file in pages of 64 KiB is read as any other */
    segment_cfg_t cfg = cfg_of("pages", 11, (all_bytes() + 65535) / 65536 * 65536);
    assert_int_equal(segment_create(dir, &cfg, &seg), ERR_OK);
    format_all(&seg);
    assert_int_equal(segment_publish(&seg, dir), ERR_OK);
    assert_int_equal(seg.bytes % 65536, 0);
    assert_int_equal(segment_open(dir, "pages.11", geteuid(), false, &read), ERR_OK);
    assert_int_equal(use_all(&read), ALL);
    segment_close(&read);
    segment_close(&seg);
    printf("P11 other version, layout, byte order, page size, newer minor: 6 of 6 as the rule says, each refusal names "
           "both "
           "(bar: 100 %%)\n");
}

/* P8: the table is overwritten after it was checked. */
static void test_segment_find_survives_damage_behind_its_back(void **state)
{
    (void)state;
    uint64_t  x = seeded_seed("test_segment_find_survives_damage_behind_its_back");
    segment_t seg, read;
    publish_one("live", 2, &seg);
    assert_int_equal(segment_open(dir, "live.2", geteuid(), false, &read), ERR_OK);
    const segment_head_t good = *seg.head;
    for (uint64_t round = seeded_rounds(3000, 300000); round > 0; round--) {
        for (int i = 0; i < 20; i++) {
            const size_t at = offsetof(segment_head_t, objects) + seeded_next(&x) % (ALL * sizeof(segment_object_t));
            ((uint8_t *)seg.head)[at] = (uint8_t)seeded_next(&x);
        }
        for (size_t i = 0; i < ALL; i++) {
            size_t         bytes = 0;
            const uint8_t *mem   = segment_find(&read, all[i].name, all[i].kind, &bytes);
            assert_true(mem == NULL || (size_t)(mem - (const uint8_t *)read.head) + bytes <= read.bytes);
        }
        *seg.head = good;
    }
    assert_int_equal(use_all(&read), ALL);
    segment_close(&read);
    segment_close(&seg);
}

/* ---- P12 ------------------------------------------------------------------------------------------------------------- */
static bool write_text(const char *path, const char *text)
{
    const int  fd = open(path, O_WRONLY);
    const bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return ok;
}

/* A mount namespace of our own, as root or through a user namespace. */
static bool small_tmpfs(const char *path)
{
    char        uids[64], gids[64];
    const uid_t uid = geteuid(), gid = getegid(); /* before: in there they are nobody's */
    if (unshare(CLONE_NEWNS) != 0) {
        snprintf(uids, sizeof(uids), "%u %u 1", uid, uid);
        snprintf(gids, sizeof(gids), "%u %u 1", gid, gid);
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !write_text("/proc/self/uid_map", uids) ||
            !write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/gid_map", gids)) {
            return false;
        }
    }
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", path, "tmpfs", 0, "size=1m,mode=700") == 0;
}

static int full_shm(void)
{
    int            fd;
    segment_t      seg;
    struct statvfs before, after;
    char           wanted[32];
    if (!small_tmpfs(root)) {
        return 77;
    }
    MUST(segment_dir_open(geteuid(), "t", true, &fd) == ERR_OK);
    MUST(fstatvfs(fd, &before) == 0);
    segment_cfg_t cfg = cfg_of("big", 1, 4 << 20);
    MUST(segment_create(fd, &cfg, &seg) == ERR_LIMIT);
    printf("%s\n", err_msg());
    snprintf(wanted, sizeof(wanted), "%llu bytes wanted, %llu free", 4ull << 20,
             (unsigned long long)before.f_bavail * before.f_frsize);
    MUST(strstr(err_msg(), wanted) != NULL);
    MUST(fstatvfs(fd, &after) == 0 && after.f_bavail == before.f_bavail && entries(fd) == 0);
    cfg.bytes = 512 << 10; /* two of these do not fit, with what the directories take */
    MUST(segment_create(fd, &cfg, &seg) == ERR_OK && segment_publish(&seg, fd) == ERR_OK);
    memset((uint8_t *)seg.head + SEGMENT_HEAD_BYTES, 1, seg.bytes - SEGMENT_HEAD_BYTES); /* no SIGBUS */
    segment_t more;
    cfg.gen   = 2;
    cfg.bytes = 600 << 10;
    MUST(segment_create(fd, &cfg, &more) == ERR_LIMIT && entries(fd) == 1);
    segment_close(&seg);
    fflush(stdout);
    return 0;
}

static void test_segment_in_a_full_shm_is_a_sentence(void **state)
{
    (void)state;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(full_shm());
    }
    int status;
    MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("SKIP test_segment_in_a_full_shm_is_a_sentence: no mount namespace for us here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- layout ---------------------------------------------------------------------------------------------------------- */
static void test_segment_layout_is_the_drawn_one(void **state)
{
    (void)state;
    assert_int_equal(offsetof(segment_head_t, layout_hash), 16);
    assert_int_equal(offsetof(segment_head_t, role), 56);
    assert_int_equal(offsetof(segment_head_t, instance), 80);
    assert_int_equal(offsetof(segment_head_t, build_id), 120);
    assert_int_equal(offsetof(segment_head_t, check), 160 + SEGMENT_OBJECTS_MAX * 48);
    assert_true(segment_layout_hash() == segment_layout_hash() && segment_layout_hash() != 0);
    assert_memory_equal(&(uint64_t){SEGMENT_MAGIC}, "hwalSEG1", 8);
    assert_int_equal(segment_bytes_for(1), 128);
    assert_int_equal(segment_bytes_for(128), 128);
    assert_int_equal(segment_bytes_for(129), 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segment_layout_is_the_drawn_one),
        cmocka_unit_test(test_segment_dir_is_ours_or_refused),
        cmocka_unit_test(test_segment_is_nowhere_until_it_is_whole),
        cmocka_unit_test(test_segment_create_and_add_refuse_by_name),
        cmocka_unit_test(test_segment_of_a_creator_that_died_is_gone),
        cmocka_unit_test(test_segment_without_descriptors_is_refused_clean),
        cmocka_unit_test(test_segment_reader_cannot_write),
        cmocka_unit_test(test_segment_open_refuses_by_name),
        cmocka_unit_test(test_segment_of_another_build_is_read),
        cmocka_unit_test(test_P7_every_flipped_bit_of_the_header),
        cmocka_unit_test(test_P11_other_versions_order_and_page_size),
        cmocka_unit_test(test_segment_find_survives_damage_behind_its_back),
        cmocka_unit_test(test_segment_in_a_full_shm_is_a_sentence),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
