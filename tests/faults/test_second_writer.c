/* P10: two of one kind. Locks on lock files decide who is the writer (supervisor.lock, engine.lock, ...): in races of several
 * processes there is exactly one, the others end at once and name its pid, and the lock of one that was killed is taken over.
 * 200 races, HWAL_SOAK=1: 1000. The same with whole instances, and from another pid namespace: tests/system/faults.py. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>
#include <sched.h>

#include <cmocka.h>

#include "ipc/role.h"
#include "tests/lib/seeded.h"
#include "tools/state_dir.h"

enum { CONTENDERS = 4 };

typedef struct race {
    _Atomic uint32_t ready, go, decided, writers, release;
    _Atomic int32_t  winner;
    int32_t          named[CONTENDERS]; /* by a loser: whose pid; 0 = it is the winner */
    int64_t          took_ns[CONTENDERS];
} race_t;

static void contend(race_t *race, int dir_fd, int me)
{
    int fd = -1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    race->ready++;
    while (!race->go) {
        sched_yield();
    }
    const int64_t began = role_mono_ns();
    const err_t   err   = state_dir_lock(dir_fd, "engine.lock", &fd);
    race->took_ns[me]   = role_mono_ns() - began;
    if (err == ERR_OK) {
        race->winner = getpid();
        race->writers++;
        race->decided++;
        pause(); /* until it is killed */
    }
    const char *pid = strstr(err_msg(), "held by pid ");
    MUST(err == ERR_EXISTS && pid != NULL && fd < 0);
    race->named[me] = (int32_t)strtol(pid + strlen("held by pid "), NULL, 10);
    race->decided++;
    _exit(0);
}

static void test_P10_two_writers(void **state)
{
    (void)state;
    const uint64_t races   = seeded_rounds(200, 1000);
    char           path[]  = "/tmp/hwal-test-XXXXXX";
    uint64_t       doubled = 0, losers = 0, misnamed = 0;
    int64_t        slowest_ns = 0;
    race_t        *race       = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(race != MAP_FAILED && mkdtemp(path) != NULL);
    const int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (uint64_t i = 0; i < races; i++) {
        pid_t pids[CONTENDERS];
        memset(race, 0, sizeof(*race));
        for (int k = 0; k < CONTENDERS; k++) {
            if ((pids[k] = fork()) == 0) {
                contend(race, dir_fd, k);
            }
        }
        while (race->ready < CONTENDERS) {
            sched_yield();
        }
        race->go = 1;
        while (race->decided < CONTENDERS) {
            sched_yield();
        }
        doubled += race->writers != 1;
        for (int k = 0; k < CONTENDERS; k++) {
            losers += race->named[k] != 0;
            misnamed += race->named[k] != 0 && race->named[k] != race->winner;
            slowest_ns = race->took_ns[k] > slowest_ns ? race->took_ns[k] : slowest_ns;
            kill(pids[k], SIGKILL); /* the winner too: the next race takes over a dead one's lock */
            MUST(waitpid(pids[k], NULL, 0) == pids[k]);
        }
    }
    printf("P10 two writers: %llu races of %d for a lock whose holder was killed: double writers %llu (bar 0), %llu "
           "losers named "
           "the holder, %llu another; slowest answer %.1f ms\n",
           (unsigned long long)races, CONTENDERS, (unsigned long long)doubled, (unsigned long long)(losers - misnamed),
           (unsigned long long)misnamed, (double)slowest_ns / 1e6);
    assert_int_equal(doubled, 0);
    assert_int_equal(misnamed, 0);
    assert_int_equal(losers, races * (CONTENDERS - 1));
    unlinkat(dir_fd, "engine.lock", 0);
    rmdir(path);
    close(dir_fd);
    munmap(race, sizeof(*race));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_P10_two_writers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
