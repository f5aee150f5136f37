/* hwal doctor: what this machine gives an instance, and what it withholds. Only what stops hwal from running is a failure;
 * what costs latency or safety is a warning that says what to do. */
#include <errno.h>
#include <inttypes.h>
#include <liburing.h>
#include <linux/magic.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "tools/command.h"
#include "tools/config.h"
#include "tools/table.h"

#define SHM_BYTES_WANTED (256u << 20)
#define CLOCK_ERROR_US_MAX 100000
#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

typedef enum verdict_word { OK = 0, WARN, FAIL } verdict_word_t;

typedef struct doctor {
    json_t  *checks;
    uint32_t count[3];
} doctor_t;

static void say(doctor_t *d, verdict_word_t word, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void say(doctor_t *d, verdict_word_t word, const char *name, const char *fmt, ...)
{
    static const char *const words[] = {"ok", "warn", "fail"};
    char                     text[400];
    va_list                  args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    json_t *o = json_object();
    json_object_set_new(o, "check", json_string(name));
    json_object_set_new(o, "result", json_string(words[word]));
    json_object_set_new(o, "text", command_text(text));
    json_array_append_new(d->checks, o);
    d->count[word]++;
}

/* first line of a file; "" when it cannot be read. */
static const char *line_of(const char *path)
{
    static char text[512];
    FILE       *f = fopen(path, "re");
    text[0]       = '\0';
    if (f) {
        if (!fgets(text, sizeof text, f)) {
            text[0] = '\0';
        }
        fclose(f);
    }
    text[strcspn(text, "\n")] = '\0';
    return text;
}

/* value_of: behind the name in a file of "name : value" or "name=value" lines; "" = not there. */
static const char *value_of(const char *path, const char *name)
{
    static char  line[4096];
    const size_t len = strlen(name);
    FILE        *f   = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, name, len) == 0 && strchr(" \t:=", line[len])) {
            fclose(f);
            line[strcspn(line, "\n")] = '\0';
            return line + len + strspn(line + len, " \t:=");
        }
    }
    if (f) {
        fclose(f);
    }
    return "";
}

/* ---- the kernel ------------------------------------------------------------------------------------------------------ */
static void check_io_uring(doctor_t *d)
{
    struct io_uring ring;
    const int       rc = io_uring_queue_init(8, &ring, 0);
    if (rc == 0) {
        io_uring_queue_exit(&ring);
        say(d, OK, "io_uring", "available");
    } else {
        say(d, WARN, "io_uring",
            "%s: the journal is written by pwrite and fdatasync instead, slower (sysctl kernel.io_uring_disabled, or a "
            "container's filter)",
            strerror(-rc));
    }
}

static void check_seccomp(doctor_t *d)
{
    const unsigned level = seccomp_api_get();
    if (level > 0 && access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0) {
        say(d, OK, "seccomp", "available (level %u)", level);
    } else {
        say(d, WARN, "seccomp", "this kernel has none: roles run without a filter of system calls");
    }
}

static void check_limits(doctor_t *d)
{
    struct rlimit lock, rt, core, files;
    getrlimit(RLIMIT_MEMLOCK, &lock);
    getrlimit(RLIMIT_RTPRIO, &rt);
    getrlimit(RLIMIT_CORE, &core);
    getrlimit(RLIMIT_NOFILE, &files);
    if (lock.rlim_cur == RLIM_INFINITY || lock.rlim_cur >= SHM_BYTES_WANTED || geteuid() == 0) {
        say(d, OK, "memory lock", "allowed");
    } else {
        say(d, WARN, "memory lock", "%" PRIu64 " KiB (ulimit -l): segments may be paged out under pressure",
            (uint64_t)lock.rlim_cur / 1024);
    }
    if (rt.rlim_cur > 0 || geteuid() == 0) {
        say(d, OK, "real-time priority", "allowed");
    } else {
        say(d, WARN, "real-time priority", "not allowed (ulimit -r 0): other processes can delay the engine");
    }
    if (files.rlim_cur >= 512) {
        say(d, OK, "open files", "%" PRIu64, (uint64_t)files.rlim_cur);
    } else {
        say(d, WARN, "open files", "%" PRIu64 " (ulimit -n): a long journal may need more", (uint64_t)files.rlim_cur);
    }
    const char *pattern = line_of("/proc/sys/kernel/core_pattern");
    if (core.rlim_cur == 0 || *pattern == '\0') {
        say(d, OK, "core dumps", "none are written (segments are the evidence)");
    } else {
        say(d, OK, "core dumps", "go to \"%s\"; roles are not dumpable", pattern);
    }
}

/* ---- memory ---------------------------------------------------------------------------------------------------------- */
static void check_shm(doctor_t *d)
{
    const char   *root = getenv("HWAL_SHM") ? getenv("HWAL_SHM") : "/dev/shm";
    struct statfs fs;
    if (statfs(root, &fs) != 0) {
        say(d, FAIL, "shared memory", "%s: %s", root, strerror(errno));
        return;
    }
    const uint64_t size  = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize,
                   avail = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
    if (fs.f_type != TMPFS_MAGIC) {
        say(d, WARN, "shared memory", "%s is no tmpfs: segments would go to a disk", root);
    } else if (access(root, W_OK) != 0) {
        say(d, FAIL, "shared memory", "%s: %s", root, strerror(errno));
    } else if (avail < SHM_BYTES_WANTED) {
        say(d, avail < SHM_BYTES_WANTED / 4 ? FAIL : WARN, "shared memory",
            "%s has %" PRIu64 " MiB free of %" PRIu64
            "; the demonstration wants up to 256 (mount -o remount,size=1g %s)",
            root, avail >> 20, size >> 20, root);
    } else {
        say(d, OK, "shared memory", "%s: %" PRIu64 " MiB free of %" PRIu64, root, avail >> 20, size >> 20);
    }
}

static void check_remove_ipc(doctor_t *d)
{
    static const char *const files[] = {"/etc/systemd/logind.conf", "/usr/lib/systemd/logind.conf"};
    bool                     logind  = access("/run/systemd/system", F_OK) == 0;
    const char              *set     = "";
    for (size_t i = 0; i < 2 && *set == '\0'; i++) {
        set = value_of(files[i], "RemoveIPC");
    }
    if (!logind || getuid() < 1000) {
        say(d, OK, "RemoveIPC", "%s", logind ? "does not concern system users" : "no logind here");
    } else if (strncasecmp(set, "no", 2) == 0 || strncasecmp(set, "false", 5) == 0) {
        say(d, OK, "RemoveIPC", "no");
    } else {
        say(d, WARN, "RemoveIPC",
            "logind removes your shared memory when you log out: RemoveIPC=no in logind.conf, or enable lingering");
    }
}

static void check_huge_pages(doctor_t *d)
{
    const char *thp = line_of("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    if (*thp == '\0' || strstr(thp, "[never]") || strstr(thp, "[deny]")) {
        say(d, WARN, "huge pages",
            "none for shared memory (/sys/kernel/mm/transparent_hugepage/shmem_enabled = advise): more TLB misses");
    } else {
        say(d, OK, "huge pages", "shmem_enabled: %s", thp);
    }
}

/* ---- time and processors --------------------------------------------------------------------------------------------- */
static void check_clocks(doctor_t *d)
{
    struct timex t      = {0};
    const int    state  = adjtimex(&t);
    const char  *source = line_of("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    if (strcmp(source, "tsc") == 0 || strcmp(source, "kvm-clock") == 0 || strcmp(source, "arch_sys_counter") == 0) {
        say(d, OK, "clock source", "%s: read without a system call", source);
    } else {
        say(d, WARN, "clock source", "%s: reading the time may cost a system call", *source ? source : "unknown");
    }
    const char *flags = value_of("/proc/cpuinfo", "flags");
    if (strstr(flags, " constant_tsc") && strstr(flags, " nonstop_tsc")) {
        say(d, OK, "TSC", "invariant");
    } else {
        say(d, WARN, "TSC", "not invariant here: benchmarks by TSC may lie");
    }
    if (state == -1) {
        say(d, WARN, "clock sync", "adjtimex: %s", strerror(errno));
    } else if (state == TIME_ERROR || (t.status & STA_UNSYNC)) {
        say(d, WARN, "clock sync",
            "the clock is not synchronised (chrony, systemd-timesyncd): time stamps against the venue's drift");
    } else if (t.maxerror > CLOCK_ERROR_US_MAX) {
        say(d, WARN, "clock sync", "synchronised, but it may be wrong by up to %ld us", t.maxerror);
    } else {
        say(d, OK, "clock sync", "synchronised, wrong by at most %ld us", t.maxerror);
    }
}

static void check_processors(doctor_t *d)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    const int   count    = CPU_COUNT(&set);
    const char *isolated = line_of("/sys/devices/system/cpu/isolated");
    if (count >= 2) {
        say(d, OK, "processors", "%d that we may use", count);
    } else {
        say(d, WARN, "processors", "one: all roles share it");
    }
    if (*isolated) {
        say(d, OK, "isolated processors", "%s", isolated);
    } else {
        say(d, WARN, "isolated processors",
            "none (isolcpus=): run.wait spin would compete with everybody else; adaptive is right");
    }
    const char *governor = line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    if (*governor && strcmp(governor, "performance") != 0) {
        say(d, WARN, "frequency", "governor %s: the processor slows down between events", governor);
    } else {
        say(d, OK, "frequency", "%s", *governor ? governor : "not ours to set");
    }
}

/* ---- the disk -------------------------------------------------------------------------------------------------------- */
static const char *filesystem(long type)
{
    switch (type) {
    case EXT4_SUPER_MAGIC: return "ext4";
    case XFS_SUPER_MAGIC: return "xfs";
    case BTRFS_SUPER_MAGIC: return "btrfs";
    case TMPFS_MAGIC: return "tmpfs";
    case OVERLAYFS_SUPER_MAGIC: return "overlayfs";
    case NFS_SUPER_MAGIC: return "nfs";
    default: return "another file system";
    }
}

static void check_state_dir(doctor_t *d)
{
    char          dir[4096];
    config_t     *config = NULL;
    struct statfs fs;
    if (config_load(NULL, &config) != ERR_OK || config_state_dir(config, dir, sizeof dir) != ERR_OK) {
        say(d, FAIL, "state directory", "%s", err_msg());
        config_free(config);
        return;
    }
    config_free(config);
    char *end = dir + strlen(dir); /* the part of the path that is there already */
    while (end > dir + 1 && access(dir, F_OK) != 0) {
        while (end > dir + 1 && *--end != '/') {
        }
        *end = '\0';
    }
    if (access(dir, W_OK) != 0 || statfs(dir, &fs) != 0) {
        say(d, FAIL, "state directory", "%s: %s (the journal lives there)", dir, strerror(errno));
        return;
    }
    const long     type  = (long)fs.f_type;
    const uint64_t avail = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
    if (type == TMPFS_MAGIC || type == NFS_SUPER_MAGIC) {
        say(d, WARN, "state directory", "%s is on %s: the journal would not outlive the machine's power", dir,
            filesystem(type));
    } else {
        say(d, avail < (1u << 30) ? WARN : OK, "state directory", "%s: writable, on %s, %" PRIu64 " MiB free", dir,
            filesystem(type), avail >> 20);
    }
}

static int usage(FILE *to)
{
    fputs("usage: hwal doctor [--json]\n\n"
          "Checks what this machine gives: kernel, memory, clocks, processors, disk. Each line ok, warn or fail. Exit "
          "1 only\n"
          "when something fails, that is, when hwal could not run.\n\n"
          "examples:\n"
          "  hwal doctor\n"
          "  hwal doctor --json | jq '.checks[] | select(.result != \"ok\")'\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

int command_doctor(int argc, char **argv)
{
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return usage(stdout);
        }
        if (strcmp(argv[i], "--json") != 0) {
            return command_error("doctor", EXIT_USAGE, "%s: no such option (--help)", argv[i]);
        }
        json = true;
    }
    doctor_t d = {.checks = json_array()};
    check_io_uring(&d);
    check_seccomp(&d);
    check_limits(&d);
    check_shm(&d);
    check_remove_ipc(&d);
    check_huge_pages(&d);
    check_clocks(&d);
    check_processors(&d);
    check_state_dir(&d);
    say(&d, OK, "plain transport", "no venue without TLS is configured");
    if (json) {
        json_t *o = json_object();
        json_object_set_new(o, "ok", table_u64(d.count[OK]));
        json_object_set_new(o, "warn", table_u64(d.count[WARN]));
        json_object_set_new(o, "fail", table_u64(d.count[FAIL]));
        json_object_set(o, "checks", d.checks);
        table_json(stdout, o);
        json_decref(o);
    } else {
        static const column_t columns[] = {
            {"result", "result", COLUMN_STATE}, {"check", "check", COLUMN_TEXT}, {"text", "what", COLUMN_TEXT}};
        table_text(stdout, columns, 3, d.checks, command_colour(stdout));
        printf("%u ok, %u warnings, %u failures\n", d.count[OK], d.count[WARN], d.count[FAIL]);
    }
    json_decref(d.checks);
    return d.count[FAIL] ? EXIT_FINDING : EXIT_OK;
}
