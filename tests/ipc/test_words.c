/* Invariants of the words that several processes share:
 *   - a sleeper whose producer has spoken wakes: no bell is missed, by futex and by FIFO, in threads and in processes
 *   - nobody asleep: no bell, no system call
 *   - the fence never falls and ends at the largest; a kill word changes exactly its bit and raises the version
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include <cmocka.h>

#include "ipc/words.h"
#include "tests/lib/seeded.h"

#define WATCHDOG_SECONDS 60u

static void *shared(size_t bytes)
{
    void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(mem != MAP_FAILED);
    return mem;
}

/* ---- doorbells ------------------------------------------------------------------------------------------------------- */
typedef struct party { /* message counter: the simplest ring there is */
    doorbell_t       bell;
    _Atomic uint64_t sent; /* by the other side */
    int              fifo; /* -1: futex */
    uint8_t          pad[100];
    uint64_t         sleeps;
} party_t;

typedef struct game {
    party_t  parties[2];
    uint64_t rounds;
} game_t;

/* Sleeps without a limit: a bell that is missed is a program that hangs, and the watchdog ends it. */
static void wait_for(party_t *mine, uint64_t n)
{
    while (atomic_load_explicit(&mine->sent, memory_order_acquire) < n) {
        const uint32_t word = doorbell_arm(&mine->bell);
        if (atomic_load_explicit(&mine->sent, memory_order_acquire) >= n) {
            doorbell_disarm(&mine->bell);
            break;
        }
        mine->sleeps++;
        if (mine->fifo < 0) {
            doorbell_wait(&mine->bell, word, -1);
        } else {
            struct pollfd fd = {.fd = mine->fifo, .events = POLLIN};
            char          bytes[64];
            MUST(poll(&fd, 1, -1) == 1 && read(mine->fifo, bytes, sizeof(bytes)) > 0);
            doorbell_disarm(&mine->bell);
        }
    }
}

static void say(party_t *other, uint64_t n)
{
    atomic_store_explicit(&other->sent, n, memory_order_release);
    doorbell_ring(&other->bell, other->fifo);
}

static void *answer(void *arg)
{
    game_t *g = arg;
    for (uint64_t n = 1; n <= g->rounds; n++) {
        wait_for(&g->parties[1], n);
        say(&g->parties[0], n);
    }
    return NULL;
}

static void ask(game_t *g)
{
    for (uint64_t n = 1; n <= g->rounds; n++) {
        say(&g->parties[1], n);
        wait_for(&g->parties[0], n);
    }
}

static int fifo_make(void)
{
    char path[] = "/tmp/hwal-test-XXXXXX";
    MUST(mkdtemp(path) != NULL);
    char fifo[64];
    snprintf(fifo, sizeof(fifo), "%s/fifo", path);
    MUST(mkfifo(fifo, 0600) == 0);
    const int fd = open(fifo, O_RDWR | O_NONBLOCK);
    MUST(fd >= 0);
    unlink(fifo);
    rmdir(path);
    return fd;
}

static void play(bool processes, bool fifos, uint64_t rounds)
{
    game_t *g = shared(sizeof(*g));
    g->rounds = rounds;
    for (int i = 0; i < 2; i++) {
        g->parties[i].fifo      = fifos ? fifo_make() : -1;
        g->parties[i].bell.word = UINT32_MAX - 100; /* it wraps soon, if anybody sleeps at all */
    }
    alarm(WATCHDOG_SECONDS * (getenv("HWAL_SOAK") != NULL ? 20 : 1));
    if (processes) {
        const pid_t pid = fork();
        int         status;
        if (pid == 0) {
            alarm(WATCHDOG_SECONDS);
            answer(g);
            _exit(0);
        }
        ask(g);
        MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    } else {
        pthread_t other;
        MUST(pthread_create(&other, NULL, answer, g) == 0);
        ask(g);
        pthread_join(other, NULL);
    }
    alarm(0);
    printf("%s, %s: %llu rounds, slept %llu and %llu times\n", processes ? "processes" : "threads",
           fifos ? "FIFO" : "futex", (unsigned long long)rounds, (unsigned long long)g->parties[0].sleeps,
           (unsigned long long)g->parties[1].sleeps);
    assert_int_equal(g->parties[0].sent, rounds);
    assert_true(g->parties[0].sleeps > 0 && g->parties[1].sleeps > 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(g->parties[i].bell.asleep, 0);
        if (fifos) {
            close(g->parties[i].fifo);
        }
    }
    munmap(g, sizeof(*g));
}

static void test_doorbell_wakes_threads(void **state)
{
    (void)state;
    play(false, false, seeded_rounds(50000, 2000000));
}

static void test_doorbell_wakes_processes(void **state)
{
    (void)state;
    play(true, false, seeded_rounds(100000, 2000000));
}

static void test_doorbell_wakes_by_fifo(void **state)
{
    (void)state;
    play(true, true, seeded_rounds(30000, 1000000));
    play(false, true, seeded_rounds(20000, 1000000));
}

/* Both sides' steps at the same instant, again and again, with no sleep that could repair it: afterwards the sleeper has
 * seen the message or been rung. Without one of the two fences each can miss the other's store. */
typedef struct duel {
    doorbell_t       bell;
    _Atomic uint64_t sent;
    uint8_t          pad[120];
    _Atomic uint64_t turn[2]; /* how often each side came to the line */
    _Atomic uint64_t rounds;
    cpu_set_t        cpus;
} duel_t;

static int64_t mono_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void line_up(duel_t *d, int me, uint64_t turn, uint64_t *x)
{
    d->turn[me] = turn;
    for (unsigned spin = 0; d->turn[1 - me] < turn; spin++) {
        if (spin > 2000) {
            sched_yield();
        }
    }
    for (uint64_t i = seeded_next(x) % 32; i > 0; i--) {
        atomic_signal_fence(memory_order_seq_cst); /* a few cycles sooner or later */
    }
}

/* The scheduler likes to put both on one core, where nothing happens at the same instant. which: 0 first, 1 last. */
static void pin(const cpu_set_t *allowed, int which)
{
    int cpu = -1;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET((size_t)i, allowed) && (cpu < 0 || which == 1)) {
            cpu = i;
        }
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

static void *produce(void *arg)
{
    duel_t  *d = arg;
    uint64_t x = 2;
    pin(&d->cpus, 1);
    for (uint64_t n = 1; n <= d->rounds; n++) {
        line_up(d, 0, 2 * n - 1, &x);
        atomic_store_explicit(&d->sent, n, memory_order_release);
        doorbell_ring(&d->bell, -1);
        line_up(d, 0, 2 * n, &x);
    }
    return NULL;
}

static void test_doorbell_sides_cannot_miss_each_other(void **state)
{
    (void)state;
    static duel_t d;
    uint64_t      x = 1, seen = 0, rung = 0, missed = 0;
    pthread_t     producer;
    const int64_t until = mono_ns() + (int64_t)seeded_rounds(400, 120000) * 1000000; /* however busy the machine is */
    d                   = (duel_t){.rounds = UINT64_MAX / 2};
    MUST(pthread_getaffinity_np(pthread_self(), sizeof(d.cpus), &d.cpus) == 0);
    pin(&d.cpus, 0);
    MUST(pthread_create(&producer, NULL, produce, &d) == 0);
    for (uint64_t n = 1; n <= d.rounds; n++) {
        if (n % 64 == 0 && mono_ns() > until) {
            d.rounds = n; /* read by the producer behind this round's second line */
        }
        line_up(&d, 1, 2 * n - 1, &x);
        const uint32_t word = doorbell_arm(&d.bell);
        const bool     sees = atomic_load_explicit(&d.sent, memory_order_acquire) >= n;
        line_up(&d, 1, 2 * n, &x); /* the other side has done all it does */
        seen += sees;
        rung += d.bell.word != word;
        missed += !sees && d.bell.word == word;
        doorbell_disarm(&d.bell);
    }
    pthread_join(producer, NULL);
    pthread_setaffinity_np(pthread_self(), sizeof(d.cpus), &d.cpus);
    printf("duel: %llu rounds, seen %llu, rung %llu, missed %llu\n", (unsigned long long)d.rounds,
           (unsigned long long)seen, (unsigned long long)rung, (unsigned long long)missed);
    assert_int_equal(missed, 0);
}

/* Several producers, each with a lane of its own, one sleeper. */
typedef struct crowd {
    doorbell_t       bell;
    _Atomic uint64_t sent[3];
    uint64_t         each;
} crowd_t;

typedef struct speaker {
    crowd_t *crowd;
    int      i;
} speaker_t;

static void *speak(void *arg)
{
    const speaker_t *me = arg;
    for (uint64_t n = 1; n <= me->crowd->each; n++) {
        atomic_store_explicit(&me->crowd->sent[me->i], n, memory_order_release);
        doorbell_ring(&me->crowd->bell, -1);
        if (n % 64 == 0) {
            usleep(1);
        }
    }
    return NULL;
}

static uint64_t heard(crowd_t *crowd)
{
    uint64_t sum = 0;
    for (int i = 0; i < 3; i++) {
        sum += atomic_load_explicit(&crowd->sent[i], memory_order_acquire);
    }
    return sum;
}

static void test_doorbell_hears_everyone_of_a_crowd(void **state)
{
    (void)state;
    crowd_t   crowd = {.each = seeded_rounds(30000, 1000000)};
    speaker_t speakers[3];
    pthread_t threads[3];
    alarm(WATCHDOG_SECONDS);
    for (int i = 0; i < 3; i++) {
        speakers[i] = (speaker_t){.crowd = &crowd, .i = i};
        MUST(pthread_create(&threads[i], NULL, speak, &speakers[i]) == 0);
    }
    uint64_t sleeps = 0;
    while (heard(&crowd) < 3 * crowd.each) {
        const uint64_t before = heard(&crowd);
        const uint32_t word   = doorbell_arm(&crowd.bell);
        if (heard(&crowd) != before || before == 3 * crowd.each) {
            doorbell_disarm(&crowd.bell);
            continue;
        }
        sleeps++;
        doorbell_wait(&crowd.bell, word, -1);
    }
    alarm(0);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("crowd: slept %llu times\n", (unsigned long long)sleeps);
}

static void test_doorbell_is_silent_when_nobody_sleeps_and_its_wait_ends(void **state)
{
    (void)state;
    doorbell_t bell = {0};
    const int  fifo = fifo_make();
    char       bytes[8];
    doorbell_ring(&bell, -1);
    doorbell_ring(&bell, fifo);
    assert_int_equal(bell.word, 0);
    assert_int_equal(read(fifo, bytes, sizeof(bytes)), -1);
    const uint32_t word = doorbell_arm(&bell);
    assert_int_equal(bell.asleep, 1);
    doorbell_wait(&bell, word, 1000000); /* nobody rings: a millisecond */
    assert_int_equal(bell.asleep, 0);
    doorbell_wait(&bell, doorbell_arm(&bell), 0);
    assert_int_equal(doorbell_arm(&bell), word);
    doorbell_ring(&bell, fifo);
    assert_int_equal(bell.word, word + 1);
    doorbell_wait(&bell, word, -1); /* rung before it slept: comes back at once */
    assert_int_equal(read(fifo, bytes, sizeof(bytes)), 1);
    for (int i = 0; i < 100000; i++) { /* a FIFO that is full is no trouble */
        doorbell_arm(&bell);
        doorbell_ring(&bell, fifo);
    }
    close(fifo);
}

/* ---- fence, kill ----------------------------------------------------------------------------------------------------- */
static words_t words;

static void *raise_fence(void *arg)
{
    uint64_t x    = (uint64_t)(uintptr_t)arg;
    uint32_t seen = 0;
    for (int i = 0; i < 100000; i++) {
        const uint32_t epoch = (uint32_t)(seeded_next(&x) % 4096);
        const uint32_t now   = words_fence_raise(&words, epoch);
        MUST(now >= epoch && now >= seen);
        seen = now;
    }
    return NULL;
}

static void test_fence_only_rises(void **state)
{
    (void)state;
    words = (words_t){0};
    assert_int_equal(words_fence_raise(&words, 0), 0);
    assert_int_equal(words_fence_raise(&words, 7), 7);
    assert_int_equal(words_fence_raise(&words, 3), 7);
    assert_int_equal(words.fence_epoch, 7);
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++) {
        MUST(pthread_create(&threads[i], NULL, raise_fence, (void *)(i + 1)) == 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(words.fence_epoch, 4095); /* 300,000 draws of 4,096 */
    assert_int_equal(words_fence_raise(&words, UINT32_MAX), UINT32_MAX);
    assert_int_equal(words_fence_raise(&words, 0), UINT32_MAX); /* what is above the largest is below it */
    assert_int_equal(words_fence_raise(&words, UINT32_MAX), UINT32_MAX);
}

static void test_doorbell_word_wraps(void **state)
{
    (void)state;
    doorbell_t     bell = {.word = UINT32_MAX};
    const uint32_t word = doorbell_arm(&bell);
    assert_int_equal(word, UINT32_MAX);
    doorbell_ring(&bell, -1);
    assert_int_equal(bell.word, 0);
    doorbell_wait(&bell, word, -1); /* rung before it slept: comes back at once */
    doorbell_wait(&bell, doorbell_arm(&bell), 0);
    assert_int_equal(bell.word, 0);
}

static void test_kill_version_wraps(void **state)
{
    (void)state;
    words = (words_t){.kill_version = UINT64_MAX};
    assert_true(words_kill(&words, SCOPE_GLOBAL, 0, true));
    assert_int_equal(words.kill_version, 0); /* another than before: that is all that anybody asks */
}

static void test_kill_changes_its_bit_alone(void **state)
{
    (void)state;
    uint64_t x                                      = seeded_seed("test_kill_changes_its_bit_alone");
    words                                           = (words_t){0};
    bool     model[SCOPE_VENUE + 1][WORDS_KILL_IDS] = {0};
    uint64_t version                                = 0;
    for (int step = 0; step < 2000; step++) {
        const scope_t  scope = (scope_t)(seeded_next(&x) % (SCOPE_VENUE + 2));
        const uint32_t id    = (uint32_t)(seeded_next(&x) % (scope == SCOPE_GLOBAL ? 2 : WORDS_KILL_IDS + 20));
        const bool     on    = seeded_next(&x) % 2;
        const bool     good  = scope <= SCOPE_VENUE && id < (scope == SCOPE_GLOBAL ? 1 : WORDS_KILL_IDS);
        assert_int_equal(words_kill(&words, scope, id, on), good);
        version += good;
        if (good) {
            model[scope][id] = on;
        }
        assert_int_equal(words.kill_version, version);
    }
    for (uint32_t scope = 0; scope <= SCOPE_VENUE; scope++) {
        for (uint32_t id = 0; id < WORDS_KILL_IDS; id++) {
            assert_int_equal(words.kill_set[scope][id / 64] >> id % 64 & 1, model[scope][id]);
        }
    }
    assert_int_equal(words.fence_epoch | words.stop, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doorbell_wakes_threads),
        cmocka_unit_test(test_doorbell_wakes_processes),
        cmocka_unit_test(test_doorbell_wakes_by_fifo),
        cmocka_unit_test(test_doorbell_sides_cannot_miss_each_other),
        cmocka_unit_test(test_doorbell_hears_everyone_of_a_crowd),
        cmocka_unit_test(test_doorbell_is_silent_when_nobody_sleeps_and_its_wait_ends),
        cmocka_unit_test(test_fence_only_rises),
        cmocka_unit_test(test_doorbell_word_wraps),
        cmocka_unit_test(test_kill_version_wraps),
        cmocka_unit_test(test_kill_changes_its_bit_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
