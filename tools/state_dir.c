#include "tools/state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/engine/engine.h"
#include "core/types/decimal.h"
#include "core/types/ids.h"

#define STATE_FORMAT                                                                                                   \
    "epoch %" PRIu32 " boot %" PRIu32 " first %" PRIu32 " session %016" PRIx64 " config %016" PRIx64 " core %" PRIu32  \
    " instance %s\n"
#define STATE_SCAN                                                                                                     \
    "epoch %" SCNu32 " boot %" SCNu32 " first %" SCNu32 " session %" SCNx64 " config %" SCNx64 " core %" SCNu32        \
    " instance %39s"

static err_t io_error(const state_dir_t *dir, const char *verb, const char *name)
{
    return err_set(errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT : ERR_IO, "%s/%s: %s: %s", dir->path, name, verb,
                   strerror(errno));
}

/* ---- the directory ------------------------------------------------------------------------------------------------ */
static err_t parents_make(const char *path)
{
    char text[256];
    snprintf(text, sizeof text, "%s", path);
    for (char *slash = strchr(text + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(text, 0700) != 0 && errno != EEXIST) {
            return err_set(ERR_IO, "%s: cannot be made: %s", text, strerror(errno));
        }
        *slash = '/';
    }
    return ERR_OK;
}

static err_t dir_take(state_dir_t *dir)
{
    struct stat st;
    if (mkdir(dir->path, 0700) != 0 && errno != EEXIST) {
        return err_set(ERR_IO, "%s: cannot be made: %s", dir->path, strerror(errno));
    }
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir->fd < 0) {
        return err_set(ERR_IO, "%s: cannot be opened: %s", dir->path,
                       errno == ELOOP || errno == ENOTDIR ? "it is no directory, or a symbolic link" : strerror(errno));
    }
    if (fstat(dir->fd, &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 022)) {
        return err_set(ERR_IO, "%s: belongs to somebody else, or others may write to it", dir->path);
    }
    if (flock(dir->fd, LOCK_EX | LOCK_NB) != 0) {
        return err_set(ERR_EXISTS, "%s: another hwal works on it", dir->path);
    }
    return ERR_OK;
}

static bool name_is_ours(const char *name)
{
    const size_t len = strlen(name);
    return strcmp(name, "state") == 0 || strcmp(name, "state.tmp") == 0 || strncmp(name, "snapshot.", 9) == 0 ||
           strcmp(name, "spare.tmp") == 0 || strncmp(name, "log", 3) == 0 ||
           (len > 3 && strcmp(name + len - 3, ".hj") == 0);
}

/* Remove a directory: files of ours only; with anything else in it it stays, and that is an error. */
static err_t dir_remove(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? ERR_OK : err_set(ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    DIR *list = fdopendir(fd);
    if (!list) {
        close(fd);
        return err_set(ERR_IO, "%s: %s", path, strerror(errno));
    }
    for (const struct dirent *e = readdir(list); e; e = readdir(list)) {
        if (name_is_ours(e->d_name)) {
            unlinkat(dirfd(list), e->d_name, 0);
        }
    }
    closedir(list);
    return rmdir(path) == 0
               ? ERR_OK
               : err_set(ERR_IO, "%s: the journal kept from before cannot be removed: %s", path, strerror(errno));
}

/* ---- state -------------------------------------------------------------------------------------------------------- */
static err_t state_read(state_dir_t *dir, bool *found)
{
    char      text[256] = {0}, instance[40] = {0};
    const int fd = openat(dir->fd, "state", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    *found       = fd >= 0;
    if (fd < 0) {
        return errno == ENOENT ? ERR_OK : io_error(dir, "cannot be opened", "state");
    }
    const ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    journal_id_t id = {0};
    if (n < 0 || sscanf(text, STATE_SCAN, &dir->epoch, &dir->boot, &dir->first, &id.session, &id.config_hash,
                        &id.core_version, instance) != 7) {
        return err_set(ERR_PARSE, "%s/state: cannot be read: it must be one line as hwal writes it", dir->path);
    }
    if (strcmp(instance, dir->instance) != 0) {
        return err_set(ERR_STATE, "%s: holds the journal of instance %s, not of %s: set journal.dir", dir->path,
                       instance, dir->instance);
    }
    if (id.config_hash != dir->id.config_hash) {
        return err_set(
            ERR_STATE,
            "%s: its journal was made with other settings (engine, accounts, risk or strategies): start with "
            "those, or with --new (this one is kept as %s.old), or as another --instance",
            dir->path, dir->path);
    }
    if (id.core_version != dir->id.core_version) {
        return err_set(ERR_STATE,
                       "%s: its journal was made by core version %" PRIu32 ", this is %" PRIu32
                       ": start with --new (this one is kept as %s.old), or as another --instance",
                       dir->path, id.core_version, dir->id.core_version, dir->path);
    }
    dir->id = id;
    return ERR_OK;
}

err_t state_dir_raise(state_dir_t *dir, uint32_t epoch, uint32_t boot)
{
    char text[256];
    if (epoch > CL_ORD_ID_EPOCH_MAX) {
        return err_set(
            ERR_LIMIT,
            "%s: epoch %u, the last one, is used up: order ids would repeat. Start with --new (this journal is "
            "kept as %s.old), or as another --instance",
            dir->path, CL_ORD_ID_EPOCH_MAX, dir->path);
    }
    const int len = snprintf(text, sizeof text, STATE_FORMAT, epoch, boot, dir->first, dir->id.session,
                             dir->id.config_hash, dir->id.core_version, dir->instance);
    const int fd  = openat(dir->fd, "state.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return io_error(dir, "cannot be made", "state.tmp");
    }
    const bool ok  = write(fd, text, (size_t)len) == len && fsync(fd) == 0;
    err_t      err = ok ? ERR_OK : io_error(dir, "cannot be written", "state.tmp");
    close(fd);
    if (!err && (renameat(dir->fd, "state.tmp", dir->fd, "state") != 0 || fsync(dir->fd) != 0)) {
        err = io_error(dir, "cannot be renamed", "state.tmp");
    }
    if (!err) {
        dir->epoch = epoch;
        dir->boot  = boot;
    }
    return err;
}

static err_t dir_anew(state_dir_t *dir)
{
    char old[232];
    snprintf(old, sizeof old, "%s.old", dir->path);
    err_t err = dir_remove(old);
    if (!err && rename(dir->path, old) != 0) {
        err = err_set(ERR_IO, "%s: cannot be renamed to %s: %s", dir->path, old, strerror(errno));
    }
    if (!err) {
        close(dir->fd);
        dir->fd = -1;
        err     = dir_take(dir);
    }
    dir->moved = !err;
    return err;
}

err_t state_dir_open(const config_t *config, bool anew, state_dir_t *out)
{
    *out      = (state_dir_t){.fd = -1, .spare_fd = -1};
    err_t err = config_state_dir(config, out->path, sizeof out->path);
    snprintf(out->instance, sizeof out->instance, "%s", config->instance);
    out->id         = (journal_id_t){.config_hash = config_hash(config), .core_version = ENGINE_CORE_VERSION};
    out->file_bytes = config->journal.file_bytes;
    out->max_bytes  = config->journal.max_bytes;
    bool found      = false;
    err             = err ? err : parents_make(out->path);
    err             = err ? err : dir_take(out);
    if (!err && anew && faccessat(out->fd, "state", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        err = dir_anew(out);
    }
    err = err ? err : state_read(out, &found);
    if (!err && !found) {
        uint64_t number;
        uint32_t count;
        err = state_dir_list(out, STATE_JOURNAL, &number, 1, &count);
        if (!err && count) {
            err =
                err_set(ERR_STATE, "%s: has journal files and no state: move them away, or set journal.dir", out->path);
        }
        out->fresh = true;
        out->epoch = (uint32_t)config->engine.epoch - 1;
        if (!err && getrandom(&out->id.session, sizeof out->id.session, 0) != sizeof out->id.session) {
            err = err_set(ERR_IO, "getrandom: %s", strerror(errno));
        }
    }
    if (!err) {
        unlinkat(out->fd, "spare.tmp", 0);
    } else {
        state_dir_close(out);
    }
    return err;
}

void state_dir_close(state_dir_t *dir)
{
    if (dir->spare_fd >= 0) {
        close(dir->spare_fd);
        unlinkat(dir->fd, "spare.tmp", 0);
    }
    if (dir->fd >= 0) {
        close(dir->fd);
    }
    dir->fd = dir->spare_fd = -1;
}

void state_dir_abandon(state_dir_t *dir)
{
    char old[232];
    state_dir_close(dir);
    if (dir->fresh && dir_remove(dir->path) == ERR_OK && dir->moved) {
        snprintf(old, sizeof old, "%s.old", dir->path);
        rename(old, dir->path);
    }
}

/* ---- files by number ---------------------------------------------------------------------------------------------- */
static bool file_number(state_kind_t kind, const char *name, uint64_t *number)
{
    int used = 0;
    return sscanf(name, kind == STATE_JOURNAL ? "%" SCNu64 ".hj%n" : "snapshot.%" SCNu64 "%n", number, &used) == 1 &&
           used > 0 && name[used] == '\0';
}

static void file_name(state_kind_t kind, uint64_t number, char out[40])
{
    snprintf(out, 40, kind == STATE_JOURNAL ? "%06" PRIu64 ".hj" : "snapshot.%020" PRIu64, number);
}

err_t state_dir_list(const state_dir_t *dir, state_kind_t kind, uint64_t *numbers, uint32_t cap, uint32_t *count)
{
    const int      fd   = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR           *list = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    *count = 0;
    if (!list) {
        const err_t err = io_error(dir, "cannot be listed", ".");
        if (fd >= 0) {
            close(fd);
        }
        return err;
    }
    for (errno = 0; (e = readdir(list)); errno = 0) {
        uint64_t number;
        if (!file_number(kind, e->d_name, &number)) {
            continue;
        }
        uint32_t at = *count; /* sorted by insertion; full = the lowest makes room */
        if (at == cap) {
            if (number < numbers[0]) {
                continue;
            }
            memmove(numbers, numbers + 1, (cap - 1) * sizeof *numbers);
            at = --*count;
        }
        for (; at > 0 && numbers[at - 1] > number; at--) {
            numbers[at] = numbers[at - 1];
        }
        numbers[at] = number;
        ++*count;
    }
    const err_t err = errno ? io_error(dir, "cannot be listed", ".") : ERR_OK;
    closedir(list);
    return err;
}

int state_dir_file(const state_dir_t *dir, state_kind_t kind, uint64_t number, int flags)
{
    char name[40];
    file_name(kind, number, name);
    int fd = openat(dir->fd, name, flags | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (flags & O_DIRECT) && errno == EINVAL) { /* a file system without it: through the page cache */
        fd = openat(dir->fd, name, (flags & ~O_DIRECT) | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0) {
        io_error(dir, "cannot be opened", name);
    }
    return fd;
}

/* ---- snapshots ---------------------------------------------------------------------------------------------------- */
int state_dir_snapshot_tmp(const state_dir_t *dir)
{
    unlinkat(dir->fd, "snapshot.tmp", 0); /* an engine that still has the old one writes to nobody */
    const int fd = openat(dir->fd, "snapshot.tmp", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        io_error(dir, "cannot be made", "snapshot.tmp");
    }
    return fd;
}

err_t state_dir_snapshot_keep(const state_dir_t *dir, snapshot_info_t *info)
{
    char        name[40];
    struct stat st;
    const int   fd = openat(dir->fd, "snapshot.tmp", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return io_error(dir, "cannot be opened", "snapshot.tmp");
    }
    err_t err = fstat(fd, &st) == 0 && st.st_size > 0
                    ? ERR_OK
                    : err_set(ERR_NOT_FOUND, "%s/snapshot.tmp: no snapshot was written", dir->path);
    err       = err ? err : snapshot_head(fd, info);
    if (!err && fsync(fd) != 0) {
        err = io_error(dir, "fsync", "snapshot.tmp");
    }
    close(fd);
    if (err) {
        unlinkat(dir->fd, "snapshot.tmp", 0);
        return err;
    }
    file_name(STATE_SNAPSHOT, info->sequence, name);
    if (renameat(dir->fd, "snapshot.tmp", dir->fd, name) != 0 || fsync(dir->fd) != 0) {
        return io_error(dir, "cannot be renamed", "snapshot.tmp");
    }
    return ERR_OK;
}

/* ---- journal files ------------------------------------------------------------------------------------------------ */
int64_t state_dir_bytes(const state_dir_t *dir)
{
    uint64_t numbers[STATE_FILES_MAX];
    uint32_t count;
    int64_t  bytes = 0;
    if (state_dir_list(dir, STATE_JOURNAL, numbers, STATE_FILES_MAX, &count) != ERR_OK) {
        return INT64_MAX / 2; /* no file is made then */
    }
    for (uint32_t i = 0; i < count; i++) {
        char        name[40];
        struct stat st;
        file_name(STATE_JOURNAL, numbers[i], name);
        bytes += fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_size : 0;
    }
    return bytes;
}

bool state_dir_used(const state_dir_t *dir, uint64_t number)
{
    uint64_t  magic = 0;
    const int fd    = state_dir_file(dir, STATE_JOURNAL, number, O_RDONLY);
    if (fd >= 0) {
        if (pread(fd, &magic, sizeof magic, 0) != sizeof magic) {
            magic = 0;
        }
        close(fd);
    }
    return magic != 0;
}

/* Number of the first record in a journal file; 0 = it has none, or none that can be read. */
static uint64_t first_record(const state_dir_t *dir, uint64_t number)
{
    journal_reader_t *reader = NULL;
    journal_entry_t   entry;
    uint64_t          first = 0;
    const int         fd    = state_dir_file(dir, STATE_JOURNAL, number, O_RDONLY);
    if (fd >= 0) {
        if (journal_open(&fd, &number, 1, NULL, &reader) == ERR_OK) {
            first = journal_next(reader, &entry) == ERR_OK ? entry.number : 0;
            journal_close(reader);
        }
        close(fd);
    }
    return first;
}

uint32_t state_dir_trim(const state_dir_t *dir)
{
    uint64_t        numbers[STATE_FILES_MAX], snapshots[STATE_FILES_MAX];
    uint32_t        count, at, removed = 0;
    snapshot_info_t info = {0};
    if (state_dir_list(dir, STATE_JOURNAL, numbers, STATE_FILES_MAX, &count) != ERR_OK ||
        state_dir_list(dir, STATE_SNAPSHOT, snapshots, STATE_FILES_MAX, &at) != ERR_OK) {
        return 0;
    }
    for (; at > 0 && info.sequence == 0; at--) { /* the newest whose head is whole */
        const int fd = state_dir_file(dir, STATE_SNAPSHOT, snapshots[at - 1], O_RDONLY);
        if (fd >= 0) {
            if (snapshot_head(fd, &info) != ERR_OK) {
                info = (snapshot_info_t){0};
            }
            close(fd);
        }
    }
    while (info.sequence && removed + 1 < count) {
        const uint64_t next = first_record(dir, numbers[removed + 1]);
        char           name[40];
        if (next == 0 || next > info.record + 1) {
            break;
        }
        file_name(STATE_JOURNAL, numbers[removed], name);
        unlinkat(dir->fd, name, 0);
        removed++;
    }
    return removed;
}

static err_t spare_drop(state_dir_t *dir, err_t err)
{
    close(dir->spare_fd);
    dir->spare_fd = -1;
    unlinkat(dir->fd, "spare.tmp", 0);
    return err;
}

static err_t spare_begin(state_dir_t *dir)
{
    uint64_t    newest = 0;
    uint32_t    count;
    const err_t err = state_dir_list(dir, STATE_JOURNAL, &newest, 1, &count);
    if (err) {
        return err;
    }
    if (state_dir_bytes(dir) + dir->file_bytes > dir->max_bytes && state_dir_trim(dir) == 0) {
        return err_set(ERR_LIMIT, "%s: journal.max_bytes %" PRId64 " is reached: no further journal file", dir->path,
                       dir->max_bytes);
    }
    dir->spare_number = count ? newest + 1 : 1;
    dir->spare_done   = 0;
    dir->spare_fd     = openat(dir->fd, "spare.tmp", O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (dir->spare_fd < 0) {
        return io_error(dir, "cannot be made", "spare.tmp");
    }
    errno = posix_fallocate(dir->spare_fd, 0, dir->file_bytes);
    return errno == 0 ? ERR_OK : spare_drop(dir, io_error(dir, "no room for a journal file", "spare.tmp"));
}

err_t state_dir_spare(state_dir_t *dir, int64_t step)
{
    static const uint8_t zeros[256 * 1024];
    char                 name[40];
    err_t                err = dir->spare_fd < 0 ? spare_begin(dir) : ERR_OK;
    if (err) {
        return err;
    }
    /* written, not only allocated: a first write into an unwritten extent costs a change of metadata and its flush */
    for (const int64_t end = dir->spare_done + step; dir->spare_done < dir->file_bytes && dir->spare_done < end;) {
        const int64_t left = dir->file_bytes - dir->spare_done;
        const ssize_t n =
            pwrite(dir->spare_fd, zeros, left < (int64_t)sizeof zeros ? (size_t)left : sizeof zeros, dir->spare_done);
        if (n <= 0) {
            return spare_drop(dir, io_error(dir, "cannot be written", "spare.tmp"));
        }
        dir->spare_done += n;
    }
    if (dir->spare_done < dir->file_bytes) {
        return ERR_AGAIN;
    }
    file_name(STATE_JOURNAL, dir->spare_number, name);
    if (fsync(dir->spare_fd) != 0 || renameat2(dir->fd, "spare.tmp", dir->fd, name, RENAME_NOREPLACE) != 0 ||
        fsync(dir->fd) != 0) {
        return spare_drop(dir, io_error(dir, "cannot be finished", "spare.tmp"));
    }
    close(dir->spare_fd);
    dir->spare_fd = -1;
    return ERR_OK;
}

/* ---- locks -------------------------------------------------------------------------------------------------------- */
/* Who holds it, by the file. A holder of this moment may not have written its pid yet, and what is there is a dead one's:
 * a little patience. (In another pid namespace nobody seems to live: then what is there is told all the same.) */
static int32_t holder_of(int fd)
{
    int64_t pid = 0;
    for (int tries = 0; tries < 500; tries++) {
        char          text[24] = {0};
        const ssize_t n        = pread(fd, text, sizeof text - 1, 0);
        if (n <= 0 || decimal_parse(text, strcspn(text, "\n"), 0, &pid) != ERR_OK || pid < 0 || pid > INT32_MAX) {
            pid = 0;
        } else if (kill((pid_t)pid, 0) == 0 || errno == EPERM) {
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return (int32_t)pid;
}

err_t state_dir_lock(int dir_fd, const char *name, int *fd)
{
    for (;;) {
        struct stat held, named;
        char        text[24] = {0};
        *fd                  = openat(dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (*fd < 0) {
            return err_set(ERR_IO, "%s: cannot be opened: %s", name, strerror(errno));
        }
        if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
            const int32_t pid = holder_of(*fd);
            close(*fd);
            *fd = -1;
            return err_set(ERR_EXISTS, "%s is held by pid %d", name, pid);
        }
        /* The file may have been removed between opening and locking: then it is nobody's lock. */
        if (fstat(*fd, &held) == 0 && fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
            held.st_ino == named.st_ino) {
            const int len = snprintf(text, sizeof text, "%d\n", getpid());
            if (ftruncate(*fd, 0) != 0 || pwrite(*fd, text, (size_t)len, 0) != len) {
                close(*fd);
                *fd = -1;
                return err_set(ERR_IO, "%s: cannot be written: %s", name, strerror(errno));
            }
            return ERR_OK;
        }
        close(*fd);
    }
}
