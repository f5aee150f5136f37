/* hwal segments: what lies in shared memory, and what of it may go.
 *
 * gc never touches a file whose writer lives, nor one that a role table names, nor, while an instance lives, the one
 * before that: a role that starts anew may still have to read it to its end. An instance of which nobody lives goes whole,
 * while gc holds its locks, so that nobody starts in it meanwhile; but kill words that are set stay: what a person stopped
 * stays stopped; and so does, without --all, what the simulated venue left at an orderly stop for the next resume. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tools/command.h"
#include "tools/views.h"

#define INSTANCES_MAX 256u

typedef struct place { /* one instance's directory */
    char           name[40];
    attach_t       a;
    bool           attached;
    int            dir_fd;
    attach_file_t *files;
    uint32_t       count;
    bool           living;
    bool           kept; /* stopped in good order: the venue's state alone, for a resume */
} place_t;

static int usage(FILE *to)
{
    fputs("usage: hwal segments ls [OPTIONS]\n"
          "       hwal segments gc [--all] [--dry-run] [OPTIONS]\n\n"
          "ls lists the files of all instances (or of --instance) in shared memory: alive, or evidence of the dead.\n"
          "gc removes evidence: files of dead writers that no role table names, and instances of which nobody lives. "
          "What\n"
          "it removes it lists. Never anything that is in use.\n" ATTACH_HELP
          "  --all             gc: in every instance (or all of --instance): also the venue's state that an orderly "
          "stop\n"
          "                    keeps for `hwal run --resume`\n"
          "  --dry-run         gc: only list\n\n"
          "examples:\n"
          "  hwal segments ls\n"
          "  hwal segments gc --all --dry-run\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

/* ---- who lives ------------------------------------------------------------------------------------------------------- */
/* lock_held: by /proc/locks, so that looking takes no lock that somebody who starts now would miss. */
static bool lock_held(int dir_fd, const char *role)
{
    char          name[40], line[256];
    struct stat   st;
    bool          held = false;
    unsigned      major_of, minor_of;
    unsigned long inode;
    snprintf(name, sizeof name, "%s.lock", role);
    FILE *f = fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? fopen("/proc/locks", "re") : NULL;
    while (f && !held && fgets(line, sizeof line, f)) {
        held = sscanf(line, "%*s FLOCK %*s %*s %*s %x:%x:%lu", &major_of, &minor_of, &inode) == 3 &&
               inode == st.st_ino && makedev(major_of, minor_of) == st.st_dev;
    }
    if (f) {
        fclose(f);
    }
    return held;
}

static bool current(const place_t *p, const attach_file_t *file)
{
    return p->attached && strcmp(p->a.file[file->role], file->name) == 0;
}

static bool alive(const place_t *p, const attach_file_t *file)
{
    return current(p, file) &&
           (attach_alive(&p->a, file->role) || lock_held(p->dir_fd, topology_role_name(file->role)));
}

static bool place_open(place_t *p, const char *name, uid_t uid)
{
    *p = (place_t){.dir_fd = -1};
    snprintf(p->name, sizeof p->name, "%s", name);
    p->files = calloc(ATTACH_FILES_MAX, sizeof *p->files);
    if (!p->files || segment_dir_open(uid, name, false, &p->dir_fd) != ERR_OK) {
        free(p->files);
        return false;
    }
    p->attached = attach_open(&p->a, name, uid) == ERR_OK;
    p->count    = attach_files(p->dir_fd, p->files, ATTACH_FILES_MAX);
    for (uint32_t i = 0; i < p->count; i++) {
        p->living |= alive(p, &p->files[i]);
    }
    p->kept = p->count > 0;
    for (uint32_t i = 0; i < p->count; i++) {
        p->kept &= p->files[i].role == ROLE_VENUE;
    }
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        p->living |= lock_held(p->dir_fd, topology_role_name((role_t)r));
    }
    return true;
}

static void place_close(place_t *p)
{
    if (p->attached) {
        attach_close(&p->a);
    }
    close(p->dir_fd);
    free(p->files);
}

/* ---- ls -------------------------------------------------------------------------------------------------------------- */
static json_t *file_json(const place_t *p, const attach_file_t *file, uid_t uid)
{
    segment_t   seg = {.fd = -1};
    const err_t err = segment_open(p->dir_fd, file->name, uid, false, &seg);
    json_t     *o   = json_object();
    json_object_set_new(o, "instance", json_string(p->name));
    json_object_set_new(o, "file", json_string(file->name));
    json_object_set_new(o, "role", json_string(topology_role_name(file->role)));
    json_object_set_new(o, "gen", table_u64(file->gen));
    json_object_set_new(o, "bytes", table_u64(file->bytes));
    json_object_set_new(o, "state",
                        json_string(alive(p, file)  ? "alive"
                                    : err != ERR_OK ? "unreadable"
                                    : p->kept       ? "kept"
                                                    : "evidence"));
    json_object_set_new(o, "current", json_boolean(current(p, file)));
    json_object_set_new(o, "epoch", err == ERR_OK ? table_u64(seg.head->epoch) : json_null());
    json_object_set_new(o, "pid", err == ERR_OK ? json_integer(seg.head->pid) : json_null());
    json_object_set_new(o, "created_utc_ns", err == ERR_OK ? json_integer(seg.head->created_utc_ns) : json_null());
    json_object_set_new(o, "fault", err == ERR_OK ? json_null() : command_text(err_msg()));
    if (err == ERR_OK) {
        segment_close(&seg);
    }
    return o;
}

static int list(const attach_args_t *args, char (*names)[40], uint32_t count)
{
    static const column_t columns[] = {{"instance", "instance", COLUMN_TEXT}, {"file", "file", COLUMN_TEXT},
                                       {"gen", "gen", COLUMN_NUMBER},         {"epoch", "epoch", COLUMN_NUMBER},
                                       {"pid", "pid", COLUMN_NUMBER},         {"bytes", "bytes", COLUMN_NUMBER},
                                       {"state", "state", COLUMN_TEXT},       {"fault", "", COLUMN_TEXT}};
    static place_t        p;
    uint64_t              bytes = 0;
    json_t               *o = json_object(), *segments = json_array();
    for (uint32_t i = 0; i < count; i++) {
        if (!place_open(&p, names[i], args->uid)) {
            continue;
        }
        for (uint32_t k = 0; k < p.count; k++) {
            json_array_append_new(segments, file_json(&p, &p.files[k], args->uid));
            bytes += p.files[k].bytes;
        }
        place_close(&p);
    }
    json_object_set_new(o, "segments", segments);
    json_object_set_new(o, "bytes", table_u64(bytes));
    if (args->json) {
        table_json(stdout, o);
    } else if (args->csv) {
        table_csv(stdout, columns, sizeof columns / sizeof columns[0], segments);
    } else {
        table_text(stdout, columns, sizeof columns / sizeof columns[0], segments, command_colour(stdout));
        printf("%zu segments, %" PRIu64 ".%" PRIu64 " MiB\n", json_array_size(segments), bytes / 1048576,
               bytes % 1048576 * 10 / 1048576);
    }
    json_decref(o);
    return EXIT_OK;
}

/* ---- gc -------------------------------------------------------------------------------------------------------------- */
typedef struct collect {
    bool     dry_run;
    bool     all;
    bool     failed;
    uint64_t bytes;
    json_t  *removed;
} collect_t;

static void drop(collect_t *c, const place_t *p, const char *name, uint64_t bytes)
{
    if (!c->dry_run && unlinkat(p->dir_fd, name, 0) != 0) {
        command_error("segments", EXIT_FINDING, "%s/%s: %s", p->name, name, strerror(errno));
        c->failed = true;
        return;
    }
    json_t *o = json_object();
    json_object_set_new(o, "instance", json_string(p->name));
    json_object_set_new(o, "file", command_text(name));
    json_object_set_new(o, "bytes", table_u64(bytes));
    json_array_append_new(c->removed, o);
    c->bytes += bytes;
}

/* drop_old: of a living instance: of each role the files below the current one and the one before it. */
static void drop_old(collect_t *c, const place_t *p)
{
    uint32_t older = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const attach_file_t  *file = &p->files[i];
        const segment_head_t *now  = p->attached ? p->a.role[file->role].head : NULL;
        older                      = i > 0 && p->files[i - 1].role == file->role ? older : 0;
        if (now && file->gen < now->gen && older++ > 0) {
            drop(c, p, file->name, file->bytes);
        }
    }
}

/* lock_all: every lock of the instance, so that nobody starts in it; false when somebody holds one. */
static bool lock_all(const place_t *p, int fds[ROLE_COUNT])
{
    bool mine = true;
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        char name[40];
        snprintf(name, sizeof name, "%s.lock", topology_role_name((role_t)r));
        fds[r] = openat(p->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        mine &= fds[r] >= 0 ? flock(fds[r], LOCK_EX | LOCK_NB) == 0 : errno == ENOENT;
    }
    return mine;
}

static bool killed(const place_t *p)
{
    for (uint32_t s = SCOPE_GLOBAL; p->attached && p->a.words && s <= SCOPE_VENUE; s++) {
        for (uint32_t i = 0; i < WORDS_KILL_IDS / 64; i++) {
            if (atomic_load_explicit(&p->a.words->kill_set[s][i], memory_order_relaxed) != 0) {
                return true;
            }
        }
    }
    return false;
}

static void drop_all(collect_t *c, const place_t *p, uid_t uid)
{
    const bool     keep = killed(p);
    const int      fd   = openat(p->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR           *dir  = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    struct stat    st;
    char           path[512];
    for (int locks = 0; dir && locks < 2; locks++) { /* the locks last: until then they keep others out */
        rewinddir(dir);
        while ((entry = readdir(dir)) != NULL) {
            const char *dot = strrchr(entry->d_name, '.');
            if (keep && strcmp(entry->d_name, "words") == 0) {
                continue;
            }
            if ((dot && strcmp(dot, ".lock") == 0) == locks && strcmp(entry->d_name, ".") != 0 &&
                strcmp(entry->d_name, "..") != 0 && fstatat(p->dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                !S_ISDIR(st.st_mode)) {
                drop(c, p, entry->d_name, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
            }
        }
    }
    if (dir) {
        closedir(dir);
    }
    if (keep) {
        command_error("segments", EXIT_OK, "%s: kill words are set: they stay (`hwal kill LEVEL --clear`)", p->name);
        return;
    }
    if (!c->dry_run && segment_dir_path(uid, p->name, path, sizeof path) == ERR_OK && rmdir(path) != 0) {
        command_error("segments", EXIT_FINDING, "%s: %s", path, strerror(errno));
        c->failed = true;
    }
}

static int collect(const attach_args_t *args, char (*names)[40], uint32_t count, bool dry_run, bool all)
{
    static place_t p;
    collect_t      c = {.dry_run = dry_run, .all = all, .removed = json_array()};
    json_t        *o = json_object(), *row;
    size_t         k;
    for (uint32_t i = 0; i < count; i++) {
        int fds[ROLE_COUNT];
        if (!place_open(&p, names[i], args->uid)) {
            continue;
        }
        if (p.living) {
            drop_old(&c, &p);
            place_close(&p);
            continue;
        }
        if (p.kept && !c.all) {
            command_error("segments", EXIT_OK,
                          "%s: stopped in good order, its venue's state is kept for a resume (--all removes it)",
                          p.name);
            place_close(&p);
            continue;
        }
        if (lock_all(&p, fds)) {
            drop_all(&c, &p, args->uid);
        } else {
            command_error("segments", EXIT_OK, "%s: somebody holds a lock there: left alone", p.name);
        }
        for (uint32_t r = 0; r < ROLE_COUNT; r++) {
            if (fds[r] >= 0) {
                close(fds[r]);
            }
        }
        place_close(&p);
    }
    json_object_set_new(o, "dry_run", json_boolean(dry_run));
    json_object_set_new(o, "bytes", table_u64(c.bytes));
    json_object_set(o, "removed", c.removed);
    if (args->json) {
        table_json(stdout, o);
    } else {
        json_array_foreach(c.removed, k, row)
        {
            printf("%s %s/%s (%" JSON_INTEGER_FORMAT " bytes)\n", dry_run ? "would remove" : "removed",
                   json_string_value(json_object_get(row, "instance")), json_string_value(json_object_get(row, "file")),
                   json_integer_value(json_object_get(row, "bytes")));
        }
        printf("%s %zu files, %" PRIu64 " bytes\n", dry_run ? "would remove" : "removed", json_array_size(c.removed),
               c.bytes);
    }
    json_decref(c.removed);
    json_decref(o);
    return c.failed ? EXIT_FINDING : EXIT_OK;
}

int command_segments(int argc, char **argv)
{
    static const struct option options[] = {
        ATTACH_OPTIONS, {"all", no_argument, NULL, 'a'}, {"dry-run", no_argument, NULL, 'n'}, {0}};
    static char   names[INSTANCES_MAX][40];
    attach_args_t args;
    bool          all = false, dry_run = false;
    attach_args(&args);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'h') {
            return usage(stdout);
        }
        if (c == 'a' || c == 'n') {
            all |= c == 'a';
            dry_run |= c == 'n';
        } else if (!attach_option(&args, c)) {
            return command_unknown("segments", argv);
        }
    }
    const char *verb = optind < argc ? argv[optind] : "";
    const bool  gc   = strcmp(verb, "gc") == 0;
    if (optind + 1 != argc || (!gc && strcmp(verb, "ls") != 0)) {
        return usage(stderr);
    }
    uint32_t count = attach_instances(args.uid, names, INSTANCES_MAX);
    if (*args.instance) { /* named: that one */
        int fd;
        if (segment_dir_open(args.uid, args.instance, false, &fd) != ERR_OK) {
            return command_error("segments", EXIT_NOT_RUNNING, "%s", err_msg());
        }
        close(fd);
        snprintf(names[0], sizeof names[0], "%s", args.instance);
        count = 1;
    } else if (gc && !all && count > 1) {
        return command_error("segments", EXIT_USAGE, "which instance? --instance NAME, or --all (%u are there)", count);
    }
    return gc ? collect(&args, names, count, dry_run, all) : list(&args, names, count);
}
