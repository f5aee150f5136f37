#include "bench/bench.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/hop.h"

static _Noreturn void run_part(bench_t *bench, const bench_part_t *part)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const err_t err = part->run(bench);
    if (err != ERR_OK) {
        fprintf(stderr, "bench: %s %s: %s: %s\n", bench->suite, part->name, err_str(err), err_msg());
    }
    exit(err == ERR_OK ? 0 : 1); /* not _exit: a peer's runtime says goodbye to its daemon */
}

static bool part_good(bench_t *bench, const bench_part_t *part)
{
    const pid_t daemon = part->daemon ? hops_daemon_start() : 0;
    int         status = 1;
    bench->daemon      = daemon > 0;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        run_part(bench, part);
    }
    if (child > 0) {
        waitpid(child, &status, 0);
    }
    hops_daemon_stop(daemon);
    if (child > 0 && WIFSIGNALED(status)) {
        fprintf(stderr, "bench: %s %s: ended by signal %d\n", bench->suite, part->name, WTERMSIG(status));
    }
    return status == 0;
}

err_t bench_parts_run(bench_t *bench, const bench_part_t *parts)
{
    const char *failed = NULL;
    for (const bench_part_t *part = parts; part->name != NULL; part++) {
        if (bench->only != NULL && strcmp(bench->only, part->name) != 0) {
            continue;
        }
        bench_note(bench, "%s: %s", part->name, part->help);
        failed = part_good(bench, part) ? failed : part->name;
    }
    return failed == NULL ? ERR_OK : err_set(ERR_STATE, "part %s failed", failed);
}

void *bench_peers_symbol(const char *name)
{
    char          path[512];
    const ssize_t len   = readlink("/proc/self/exe", path, sizeof path - 32);
    char         *slash = len > 0 ? (path[len] = '\0', strrchr(path, '/')) : NULL;
    if (slash == NULL) {
        return NULL;
    }
    strcpy(slash + 1, "hwal-peers.so");
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return object != NULL ? dlsym(object, name) : NULL;
}
