/* The parts of the suite `ipc`, each a question of its own in a file of its own, run one after the other (or alone:
 * --only). Each runs in a process of its own: what a peer leaves in its process (threads, handlers) or breaks ends
 * with it, and the bars come back in shared memory. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/hop.h"

const bench_part_t bench_ipc_parts[] = {
    {"roundtrip", "there and back through our rings and the peers, against a bounced line", bench_roundtrip, true},
    {"throughput", "one way flat out, batching on, our rings and the peers", bench_throughput, true},
    {"readers", "what readers cost a broadcast writer: polling, stopped, killed, 32, spinning", bench_readers, false},
    {"small", "template write, read, verify, histogram, counter", bench_small, false},
    {"lane", "a risk check over a lane of a live instance, spinning", bench_lane, false},
    {"attach", "from nothing to the first complete book of a live instance", bench_attach, false},
    {"live", "a live instance, busy and idle: event, decision, order taken; futex hops", bench_live, false},
};
const unsigned bench_ipc_part_count = sizeof bench_ipc_parts / sizeof bench_ipc_parts[0];

static _Noreturn void run_part(bench_t *bench, const bench_part_t *part)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const err_t err = part->run(bench);
    if (err != ERR_OK) {
        fprintf(stderr, "bench: ipc %s: %s: %s\n", part->name, err_str(err), err_msg());
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
        fprintf(stderr, "bench: ipc %s: ended by signal %d\n", part->name, WTERMSIG(status));
    }
    return status == 0;
}

err_t bench_ipc(bench_t *bench)
{
    const char *failed = NULL;
    for (unsigned i = 0; i < bench_ipc_part_count; i++) {
        const bench_part_t *part = &bench_ipc_parts[i];
        if (bench->only != NULL && strcmp(bench->only, part->name) != 0) {
            continue;
        }
        bench_note(bench, "%s: %s", part->name, part->help);
        failed = part_good(bench, part) ? failed : part->name;
    }
    return failed == NULL ? ERR_OK : err_set(ERR_STATE, "part %s failed", failed);
}
