#include "ipc/segment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "core/types/hash.h"
#include "ipc/control.h"
#include "ipc/counters.h"
#include "ipc/histogram.h"
#include "ipc/lane.h"
#include "ipc/records.h"
#include "ipc/ring_broadcast.h"
#include "ipc/ring_lossless.h"
#include "ipc/words.h"

#define OBJECT_ALIGN 128u
#define PAGE_BYTES 4096u
#define FALLOCATE_BYTES (4u << 20) /* at a time: a signal makes the kernel give up the whole piece */

_Static_assert(SEGMENT_HEAD_BYTES == PAGE_BYTES, "objects begin at a page");

uint64_t segment_layout_hash(void)
{
    const uint64_t layouts[] = {
        SEGMENT_VERSION,       sizeof(segment_head_t), sizeof(segment_object_t), SEGMENT_BLOB,
        sizeof(ring_head_t),   sizeof(ring_slot_t),    sizeof(ring_broadcast_t), sizeof(ring_lossless_t),
        sizeof(ring_cursor_t), sizeof(records_t),      sizeof(control_page_t),   offsetof(counters_t, value),
        sizeof(counter_row_t), sizeof(histogram_t),    sizeof(words_t),          sizeof(doorbell_t),
        sizeof(lane_cmd_t),    sizeof(lane_rsp_t),     sizeof(lane_t),           LANE_STRIDE};
    return hash_bytes(0, layouts, sizeof(layouts));
}

/* ---- names and directories ------------------------------------------------------------------------------------------- */
static bool name_ok(const char *name, size_t max)
{
    const size_t len = strnlen(name, max + 1);
    if (len == 0 || len > max || name[0] == '.' || name[0] == '-') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        const char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
              c == '.')) {
            return false;
        }
    }
    return true;
}

static err_t check_name(const char *what, const char *name, size_t max)
{
    return name_ok(name, max)
               ? ERR_OK
               : err_set(ERR_ARG, "segment: %s \"%.64s\": must be 1 to %zu letters, digits, '_', '-', '.'", what, name,
                         max);
}

#define INSTANCE_MAX (sizeof(((segment_head_t *)NULL)->instance) - 1)

static err_t base_path(uid_t uid, char *out, size_t cap)
{
    const char *root = getenv("HWAL_SHM");
    const int   n    = snprintf(out, cap, "%s/hwal-%u", root != NULL && root[0] ? root : "/dev/shm", uid);
    return n > 0 && (size_t)n < cap ? ERR_OK
                                    : err_set(ERR_ARG, "segment: the path of HWAL_SHM is longer than %zu", cap);
}

err_t segment_dir_path(uid_t uid, const char *instance, char *out, size_t cap)
{
    err_t err = check_name("instance", instance, INSTANCE_MAX);
    if (err == ERR_OK) {
        err = base_path(uid, out, cap);
    }
    if (err != ERR_OK) {
        return err;
    }
    const size_t len = strlen(out);
    const int    n   = snprintf(out + len, cap - len, "/%s", instance);
    return n > 0 && (size_t)n < cap - len ? ERR_OK
                                          : err_set(ERR_ARG, "segment: directory path longer than %zu bytes", cap - 1);
}

/* One directory, ours: at dir_fd (AT_FDCWD: name is a path). */
static err_t dir_open_at(int dir_fd, const char *name, uid_t uid, bool create, int *out)
{
    if (create && mkdirat(dir_fd, name, 0750) == 0) {
        if (fchmodat(dir_fd, name, 0750, 0) != 0) { /* whatever the umask is: the group may read */
            return err_set(ERR_IO, "segment: %s: chmod: %s", name, strerror(errno));
        }
    } else if (create && errno != EEXIST) {
        return err_set(errno == ENOSPC ? ERR_LIMIT : ERR_IO, "segment: %s: mkdir: %s", name, strerror(errno));
    }
    const int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return err_set(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "segment: %s: %s", name, strerror(errno));
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_uid != uid || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        close(fd);
        return err_set(ERR_STATE, "segment: %s: owner %u mode %o, must be owner %u and nobody else may write", name,
                       st.st_uid, st.st_mode & 07777, uid);
    }
    *out = fd;
    return ERR_OK;
}

err_t segment_dir_open(uid_t uid, const char *instance, bool create, int *dir_fd)
{
    char  base[512];
    int   base_fd;
    err_t err = check_name("instance", instance, INSTANCE_MAX);
    if (err == ERR_OK && create && uid != geteuid()) {
        err = err_set(ERR_ARG, "segment: uid %u cannot make the directory of uid %u", geteuid(), uid);
    }
    if (err == ERR_OK) {
        err = base_path(uid, base, sizeof(base));
    }
    if (err == ERR_OK) {
        err = dir_open_at(AT_FDCWD, base, uid, create, &base_fd);
    }
    if (err != ERR_OK) {
        return err;
    }
    err = dir_open_at(base_fd, instance, uid, create, dir_fd);
    close(base_fd);
    return err;
}

/* ---- making one ------------------------------------------------------------------------------------------------------ */
static err_t give_memory(int fd, const segment_cfg_t *cfg, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        const size_t piece = bytes - at < FALLOCATE_BYTES ? bytes - at : FALLOCATE_BYTES;
        const int    error = posix_fallocate(fd, (off_t)at, (off_t)piece);
        if (error == 0) {
            at += piece;
        } else if (error != EINTR) {
            struct statvfs vfs = {0};
            if (ftruncate(fd, 0) == 0) { /* what is free without this piece of a file */
                fstatvfs(fd, &vfs);
            }
            return err_set(error == ENOSPC || error == ENOMEM || error == EFBIG ? ERR_LIMIT : ERR_IO,
                           "segment %s.%u: %zu bytes wanted, %llu free in shared memory: %s", cfg->role, cfg->gen,
                           bytes, (unsigned long long)vfs.f_bavail * vfs.f_frsize, strerror(error));
        }
    }
    return ERR_OK;
}

/* populate: for the roles, whose hot paths shall meet no page fault. Not for observers, who open by name and read little:
 * it costs 0.3 ms a megabyte. */
static err_t map_fd(int fd, size_t bytes, bool writable, bool populate, const char *what, segment_t *out)
{
    void *mem =
        mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED | (populate ? MAP_POPULATE : 0), fd, 0);
    if (mem == MAP_FAILED) {
        return err_set(errno == ENOMEM ? ERR_LIMIT : ERR_IO, "segment %s: mapping %zu bytes: %s", what, bytes,
                       strerror(errno));
    }
    *out = (segment_t){.head = mem, .bytes = bytes, .fd = fd, .writable = writable};
    return ERR_OK;
}

err_t segment_create(int dir_fd, const segment_cfg_t *cfg, segment_t *out)
{
    err_t err = check_name("role", cfg->role, SEGMENT_NAME_MAX);
    if (err == ERR_OK) {
        err = check_name("instance", cfg->instance, INSTANCE_MAX);
    }
    if (err != ERR_OK) {
        return err;
    }
    if (cfg->bytes < SEGMENT_HEAD_BYTES || cfg->bytes > INT64_MAX / 2) {
        return err_set(ERR_ARG, "segment %s.%u: %llu bytes, must be at least %u", cfg->role, cfg->gen,
                       (unsigned long long)cfg->bytes, SEGMENT_HEAD_BYTES);
    }
    const size_t bytes = (cfg->bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    const int    fd    = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
    if (fd < 0) {
        return err_set(errno == ENOSPC ? ERR_LIMIT : ERR_IO, "segment %s.%u: making a file without a name: %s",
                       cfg->role, cfg->gen, strerror(errno));
    }
    if (fchmod(fd, 0640) != 0) { /* whatever the umask is: the group may read */
        err = err_set(ERR_IO, "segment %s.%u: chmod: %s", cfg->role, cfg->gen, strerror(errno));
    } else {
        err = give_memory(fd, cfg, bytes);
    }
    if (err == ERR_OK) {
        err = map_fd(fd, bytes, true, true, cfg->role, out);
    }
    if (err != ERR_OK) {
        close(fd);
        return err;
    }
    memset(out->head, 0, bytes); /* it is zero; now every page has been written once */
    segment_head_t *head = out->head;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    head->version        = SEGMENT_VERSION;
    head->layout_hash    = segment_layout_hash();
    head->bytes          = bytes;
    out->epoch           = cfg->epoch;
    out->gen             = cfg->gen;
    head->epoch          = cfg->epoch;
    head->gen            = cfg->gen;
    head->uid            = geteuid();
    head->created_utc_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    snprintf(head->role, sizeof(head->role), "%s", cfg->role);
    snprintf(head->instance, sizeof(head->instance), "%s", cfg->instance);
    snprintf(head->build_id, sizeof(head->build_id), "%s", cfg->build_id != NULL ? cfg->build_id : "");
    return ERR_OK;
}

size_t segment_bytes_for(size_t bytes)
{
    return (bytes + OBJECT_ALIGN - 1) / OBJECT_ALIGN * OBJECT_ALIGN;
}

void *segment_add(segment_t *seg, const char *name, segment_kind_t kind, size_t bytes)
{
    segment_head_t *head = seg->head;
    assert(head->magic == 0 && bytes > 0);
    if (check_name("object", name, SEGMENT_NAME_MAX) != ERR_OK) {
        return NULL;
    }
    uint64_t end = SEGMENT_HEAD_BYTES;
    for (uint32_t i = 0; i < head->object_count; i++) {
        const segment_object_t *o = &head->objects[i];
        if (strcmp(o->name, name) == 0) {
            err_set(ERR_EXISTS, "segment %s: there is an object \"%s\" already", head->role, name);
            return NULL;
        }
        end = o->offset + segment_bytes_for(o->bytes);
    }
    if (head->object_count == SEGMENT_OBJECTS_MAX) {
        err_set(ERR_LIMIT, "segment %s: object \"%s\": there are %u, the limit", head->role, name, SEGMENT_OBJECTS_MAX);
        return NULL;
    }
    if (end > seg->bytes || bytes > seg->bytes - end) {
        err_set(ERR_LIMIT, "segment %s: object \"%s\" takes %zu bytes, %llu of %zu are left", head->role, name, bytes,
                (unsigned long long)(end > seg->bytes ? 0 : seg->bytes - end), seg->bytes);
        return NULL;
    }
    segment_object_t *o = &head->objects[head->object_count++];
    *o                  = (segment_object_t){.offset = end, .bytes = bytes, .kind = kind};
    memcpy(o->name, name, strlen(name));
    return (uint8_t *)head + end;
}

static uint64_t check_value(const segment_head_t *head)
{
    uint8_t page[SEGMENT_HEAD_BYTES];
    memcpy(page, head, sizeof(page));
    memset(page + offsetof(segment_head_t, pid), 0, sizeof(head->pid));
    memset(page + offsetof(segment_head_t, check), 0, sizeof(head->check));
    const uint64_t magic = SEGMENT_MAGIC; /* computed before it is stored */
    memcpy(page, &magic, sizeof(magic));
    return hash_bytes(0, page, sizeof(page));
}

static void name_of(const segment_head_t *head, char out[64])
{
    if (head->gen == 0) {
        snprintf(out, 64, "%s", head->role);
    } else {
        snprintf(out, 64, "%s.%u", head->role, head->gen);
    }
}

err_t segment_publish(segment_t *seg, int dir_fd)
{
    segment_head_t *head = seg->head;
    assert(head->magic == 0);
    head->check = check_value(head);
    __atomic_store_n(&head->magic, SEGMENT_MAGIC, __ATOMIC_RELEASE);
    char name[64], path[64];
    name_of(head, name);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", seg->fd); /* AT_EMPTY_PATH would need a capability */
    if (linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW) != 0) {
        const int error = errno;
        return err_set(error == EEXIST   ? ERR_EXISTS
                       : error == ENOSPC ? ERR_LIMIT
                                         : ERR_IO,
                       "segment %s: %s", name, error == EEXIST ? "the name is taken" : strerror(error));
    }
    return ERR_OK;
}

/* ---- reading one ----------------------------------------------------------------------------------------------------- */
/* A text field: a name, ended, and nothing behind its end. */
static bool text_ok(const char *text, size_t cap)
{
    const size_t len = strnlen(text, cap);
    for (size_t i = len; i < cap; i++) {
        if (text[i] != 0) {
            return false;
        }
    }
    return len < cap && name_ok(text, cap - 1);
}

static err_t check_object(const segment_head_t *head, uint32_t i)
{
    const segment_object_t *o = &head->objects[i];
    if (!text_ok(o->name, sizeof(o->name))) {
        return err_set(ERR_PARSE, "object %u: its name is not one", i);
    }
    if (o->offset % OBJECT_ALIGN != 0 || o->offset < SEGMENT_HEAD_BYTES || o->offset > head->bytes) {
        return err_set(ERR_PARSE, "object %u (%s): offset %llu, must be a multiple of %u in %u..%llu", i, o->name,
                       (unsigned long long)o->offset, OBJECT_ALIGN, SEGMENT_HEAD_BYTES,
                       (unsigned long long)head->bytes);
    }
    if (o->bytes == 0 || o->bytes > head->bytes - o->offset) {
        return err_set(ERR_PARSE, "object %u (%s): bytes %llu, from its offset on there are %llu", i, o->name,
                       (unsigned long long)o->bytes, (unsigned long long)(head->bytes - o->offset));
    }
    if (o->kind == SEGMENT_KIND_NONE || o->kind > SEGMENT_BLOB) {
        return err_set(ERR_PARSE, "object %u (%s): kind %u, there are 1..%u", i, o->name, o->kind, SEGMENT_BLOB);
    }
    return ERR_OK;
}

static err_t check_head(const segment_head_t *head, size_t bytes, uid_t uid)
{
    /* acquire: pairs with the release in segment_publish */
    const uint64_t magic = __atomic_load_n(&head->magic, __ATOMIC_ACQUIRE);
    if (magic == __builtin_bswap64(SEGMENT_MAGIC)) {
        return err_set(ERR_UNSUPPORTED,
                       "magic: big-endian, another machine's byte order; this build reads little-endian");
    }
    if (magic != SEGMENT_MAGIC) {
        return err_set(ERR_PARSE, "magic %016llx, must be %016llx", (unsigned long long)magic,
                       (unsigned long long)SEGMENT_MAGIC);
    }
    if (head->version != SEGMENT_VERSION) {
        return err_set(ERR_UNSUPPORTED, "version %u, this build reads %u", head->version, SEGMENT_VERSION);
    }
    if (head->layout_hash != segment_layout_hash()) {
        return err_set(ERR_UNSUPPORTED, "layout hash %016llx, this build reads %016llx",
                       (unsigned long long)head->layout_hash, (unsigned long long)segment_layout_hash());
    }
    if (head->bytes != bytes) {
        return err_set(ERR_PARSE, "bytes %llu, the file has %zu", (unsigned long long)head->bytes, bytes);
    }
    if (head->object_count > SEGMENT_OBJECTS_MAX) {
        return err_set(ERR_PARSE, "object count %u, limit %u", head->object_count, SEGMENT_OBJECTS_MAX);
    }
    if (head->uid != uid) {
        return err_set(ERR_PARSE, "uid %u, the file belongs to %u", head->uid, uid);
    }
    if (!text_ok(head->role, sizeof(head->role)) || !text_ok(head->instance, sizeof(head->instance))) {
        return err_set(ERR_PARSE, "role or instance is not a name");
    }
    if (memchr(head->build_id, 0, sizeof(head->build_id)) == NULL) {
        return err_set(ERR_PARSE, "build id has no end");
    }
    for (uint32_t i = 0; i < head->object_count; i++) {
        const err_t err = check_object(head, i);
        if (err != ERR_OK) {
            return err;
        }
    }
    if (head->check != check_value(head)) {
        return err_set(ERR_PARSE, "check value %016llx, that of the head's page is %016llx: damaged",
                       (unsigned long long)head->check, (unsigned long long)check_value(head));
    }
    return ERR_OK;
}

static err_t check_file(int fd, uid_t uid, size_t *bytes)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return err_set(ERR_IO, "fstat: %s", strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(ERR_STATE, "not a regular file");
    }
    if (st.st_uid != uid || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return err_set(ERR_STATE, "owner %u mode %o, must be owner %u and nobody else may write", st.st_uid,
                       st.st_mode & 07777, uid);
    }
    if (st.st_size < (off_t)SEGMENT_HEAD_BYTES) {
        return err_set(ERR_PARSE, "the file has %lld bytes, the head alone %u", (long long)st.st_size,
                       SEGMENT_HEAD_BYTES);
    }
    *bytes = (size_t)st.st_size;
    return ERR_OK;
}

static err_t open_fd(int fd, const char *name, uid_t uid, bool writable, bool populate, segment_t *out)
{
    segment_t seg   = {.fd = -1};
    size_t    bytes = 0;
    err_t     err   = check_file(fd, uid, &bytes);
    if (err == ERR_OK) {
        err = map_fd(fd, bytes, writable, populate, name, &seg);
    }
    if (err != ERR_OK) {
        close(fd);
        return err_wrap(err, "segment %s", name);
    }
    seg.epoch = seg.head->epoch; /* before the check, which covers them */
    seg.gen   = seg.head->gen;
    err       = check_head(seg.head, bytes, uid);
    if (err != ERR_OK) {
        segment_close(&seg);
        return err_wrap(err, "segment %s", name);
    }
    *out = seg;
    return ERR_OK;
}

err_t segment_open_fd(int fd, uid_t uid, bool writable, segment_t *out)
{
    char name[32];
    snprintf(name, sizeof(name), "fd %d", fd);
    return open_fd(fd, name, uid, writable, true, out);
}

err_t segment_open(int dir_fd, const char *name, uid_t uid, bool writable, segment_t *out)
{
    const err_t bad = check_name("file", name, SEGMENT_NAME_MAX + 11);
    if (bad != ERR_OK) {
        return bad;
    }
    /* O_NONBLOCK: a FIFO of that name shall not hold us up */
    const int fd = openat(dir_fd, name, (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return err_set(errno == ENOENT  ? ERR_NOT_FOUND
                       : errno == ELOOP ? ERR_STATE
                                        : ERR_IO,
                       "segment %s: %s", name, errno == ELOOP ? "a symbolic link" : strerror(errno));
    }
    segment_t   seg;
    const err_t err = open_fd(fd, name, uid, writable, writable, &seg);
    if (err != ERR_OK) {
        return err;
    }
    char own[64];
    name_of(seg.head, own);
    if (strcmp(own, name) != 0) {
        const err_t other = err_set(ERR_PARSE, "segment %s: its head says that it is %s", name, own);
        segment_close(&seg);
        return other;
    }
    *out = seg;
    return ERR_OK;
}

void segment_close(segment_t *seg)
{
    if (seg->head != NULL) {
        munmap(seg->head, seg->bytes);
        close(seg->fd);
    }
    *seg = (segment_t){.fd = -1};
}

void *segment_find(const segment_t *seg, const char *name, segment_kind_t kind, size_t *bytes)
{
    for (uint32_t i = 0; i < SEGMENT_OBJECTS_MAX; i++) {
        const segment_object_t o = seg->head->objects[i]; /* a copy: the memory is not ours */
        if (o.kind == (uint32_t)kind && strncmp(o.name, name, sizeof(o.name)) == 0) {
            if (o.offset % OBJECT_ALIGN != 0 || o.offset > seg->bytes || o.bytes == 0 ||
                o.bytes > seg->bytes - o.offset) {
                return NULL; /* a free row, or damaged since it was opened */
            }
            *bytes = o.bytes;
            return (uint8_t *)seg->head + o.offset;
        }
    }
    return NULL;
}

const void *segment_part(const segment_t *seg, const char *name, segment_kind_t kind, size_t bytes)
{
    size_t      there = 0;
    const void *mem   = seg->head != NULL ? segment_find(seg, name, kind, &there) : NULL;
    return there >= bytes ? mem : NULL;
}
