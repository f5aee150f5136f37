/* Invariants of the broadcast ring:
 *   - a reader gets whole messages only, in order, and each sequence number once: received or told as lost, exactly
 *   - the oldest message that is kept is the one that a lapped reader goes on at (or the newest, if it asked for that)
 *   - the writer does the same whether readers are there, stopped or dead; a writer that dies leaves no half message
 *   - sizes and memory that are none are refused by name; damage never crashes a reader and never holds it up for ever
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pthread.h>

#include <cmocka.h>

#include "ipc/ring_broadcast.h"
#include "tests/lib/seeded.h"

static void *shared(size_t bytes)
{
    void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(mem != MAP_FAILED);
    return mem;
}

static void *ring_make(uint32_t slots, uint32_t stride, size_t *bytes)
{
    *bytes    = ring_broadcast_footprint(slots, stride);
    void *mem = shared(*bytes);
    MUST(ring_broadcast_new(mem, slots, stride) == mem);
    return mem;
}

static void put(ring_writer_t *w, uint64_t n)
{
    _Alignas(8) uint8_t buf[RING_STRIDE_MAX];
    const uint32_t      len = seeded_len(n, ring_room(w));
    seeded_fill(buf, n, len);
    const ring_meta_t meta = {
        .len = len, .type = (uint16_t)n, .topic = (uint32_t)(n * 7), .tenant = (uint32_t)(n >> 3)};
    MUST(ring_publish(w, &meta, buf) == n);
}

/* buf holds message n of a ring with that room? */
static bool is_message(const void *buf, const ring_meta_t *meta, uint64_t n, uint32_t room)
{
    return meta->len == seeded_len(n, room) && meta->type == (uint16_t)n && meta->topic == (uint32_t)(n * 7) &&
           meta->tenant == (uint32_t)(n >> 3) && meta->flags == 0 && seeded_whole(buf, n, meta->len);
}

/* ---- sizes, joins ---------------------------------------------------------------------------------------------------- */
static void test_ring_refuses_sizes_by_name(void **state)
{
    (void)state;
    static const struct {
        uint32_t    slots, stride;
        const char *word;
    } bad[] = {{0, 64, "slots 0"},         {1, 64, "slots 1"}, {3, 64, "slots 3"},   {1u << 25, 64, "slots 33554432"},
               {0x80000000u, 64, "slots"}, {4, 0, "stride 0"}, {4, 32, "stride 32"}, {4, 65, "stride 65"},
               {4, 65600, "stride 65600"}};
    _Alignas(128) uint8_t mem[1024] = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ring_broadcast_footprint(bad[i].slots, bad[i].stride), 0);
        assert_non_null(strstr(err_msg(), bad[i].word));
        assert_null(ring_broadcast_new(mem, bad[i].slots, bad[i].stride));
    }
    assert_int_equal(ring_broadcast_footprint(2, 64), 256 + 2 * 64);
    assert_int_equal(ring_broadcast_footprint(1u << 24, 65536), 256 + (1ull << 40));
}

static void test_ring_join_names_what_is_wrong(void **state)
{
    (void)state;
    size_t            bytes;
    ring_broadcast_t *ring = ring_make(8, 128, &bytes);
    ring_reader_t     r;
    ring_writer_t     w;
    assert_int_equal(ring_reader_join(&r, ring, bytes, RING_OLDEST), ERR_OK);
    assert_int_equal(ring_writer_join(&w, ring, bytes), ERR_OK);
    assert_int_equal(ring_reader_join(&r, ring, bytes - 1, RING_OLDEST), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "room"));
    assert_int_equal(ring_writer_join(&w, ring, 100), ERR_PARSE);
    assert_int_equal(ring_reader_join(&r, NULL, bytes, RING_OLDEST), ERR_PARSE);
    assert_int_equal(ring_reader_join(&r, (uint8_t *)ring + 64, bytes - 64, RING_OLDEST), ERR_PARSE);
    const ring_head_t head = ring->head;
    for (unsigned bit = 0; bit < 128; bit++) { /* magic, slots, stride: a smaller power of two is one too: harmless */
        ((uint8_t *)ring)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        const err_t err = ring_reader_join(&r, ring, bytes, RING_OLDEST);
        assert_true(err == ERR_PARSE || ring_broadcast_footprint((uint32_t)r.mask + 1, r.stride) <= bytes);
        if (err != ERR_OK) {
            assert_non_null(strstr(err_msg(), bit < 64 ? "magic" : bit < 96 ? "slots" : "stride"));
        }
        ring->head = head;
    }
    munmap(ring, bytes);
}

static void test_ring_fresh_is_empty(void **state)
{
    (void)state;
    size_t        bytes;
    void         *ring = ring_make(4, 64, &bytes);
    ring_reader_t r;
    ring_meta_t   meta;
    uint64_t      buf[8];
    assert_int_equal(ring_tail(ring), 0);
    for (ring_start_t start = RING_OLDEST; start <= RING_NEWEST; start++) {
        assert_int_equal(ring_reader_join(&r, ring, bytes, start), ERR_OK);
        assert_int_equal(r.next, 1);
        assert_int_equal(ring_oldest(&r), 1);
        assert_int_equal(ring_read(&r, buf, sizeof(buf), &meta), ERR_EMPTY);
    }
    munmap(ring, bytes);
}

/* ---- one thread, against a model ------------------------------------------------------------------------------------- */
typedef struct model { /* of a reader */
    uint64_t next, lost;
} model_t;

static void model_read(ring_reader_t *r, model_t *m, uint64_t tail, uint64_t slots, uint64_t base)
{
    _Alignas(8) uint8_t buf[1024];
    ring_meta_t         meta   = {.len = 77};
    const uint32_t      room   = r->stride - RING_SLOT_HEAD;
    const uint64_t      oldest = tail - base > slots ? tail - slots + 1 : base + 1;
    const size_t        cap    = tail % 5 == 0 ? 8 : sizeof(buf); /* now and then too small */
    const err_t         err    = ring_read(r, buf, cap, &meta);
    if (m->next > tail) {
        assert_int_equal(err, ERR_EMPTY);
    } else if (m->next < oldest) {
        const uint64_t to = r->after_loss == RING_NEWEST ? tail + 1 : oldest;
        assert_int_equal(err, ERR_GAP);
        assert_int_equal(r->lost_from, m->next);
        assert_int_equal(r->lost_to, to - 1);
        m->lost += to - m->next;
        m->next = to;
    } else if (seeded_len(m->next, room) > cap) {
        assert_int_equal(err, ERR_FULL);
        assert_int_equal(meta.len, seeded_len(m->next, room));
        assert_int_equal(ring_read(r, buf, sizeof(buf), &meta), ERR_OK);
        assert_true(is_message(buf, &meta, m->next++, room));
    } else {
        assert_int_equal(err, ERR_OK);
        assert_true(is_message(buf, &meta, m->next++, room));
    }
    assert_int_equal(r->next, m->next);
    assert_int_equal(r->lost, m->lost);
}

static void run_model(uint64_t *x, uint32_t slots, uint32_t stride, uint64_t base)
{
    size_t            bytes;
    ring_broadcast_t *ring = ring_make(slots, stride, &bytes);
    ring->tail             = base; /* as if it had run for centuries */
    ring_writer_t w;
    ring_reader_t r[3];
    model_t       m[3];
    assert_int_equal(ring_writer_join(&w, ring, bytes), ERR_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ring_reader_join(&r[i], ring, bytes, RING_NEWEST), ERR_OK);
        r[i].after_loss = i == 1 ? RING_NEWEST : RING_OLDEST;
        m[i]            = (model_t){.next = base + 1};
    }
    uint64_t tail = base;
    for (int step = 0; step < 3000; step++) {
        const uint64_t dice = seeded_next(x) % 100;
        if (dice < 45) {
            put(&w, ++tail);
        } else if (dice < 46) {
            for (uint64_t n = seeded_next(x) % (3 * slots); n > 0; n--) {
                put(&w, ++tail);
            }
        } else if (dice < 47) { /* a writer that begins again */
            assert_int_equal(ring_writer_join(&w, ring, bytes), ERR_OK);
        } else if (dice < 49 && tail > base) {
            const int i = (int)(seeded_next(x) % 3);
            m[i].next   = base + 1 + seeded_next(x) % (tail - base);
            ring_reader_seek(&r[i], m[i].next);
        } else {
            const int i = (int)(seeded_next(x) % 3);
            model_read(&r[i], &m[i], tail, slots, base);
        }
        assert_int_equal(ring_tail(ring), tail);
    }
    munmap(ring, bytes);
}

static void test_ring_is_its_model(void **state)
{
    (void)state;
    uint64_t x = seeded_seed("test_ring_is_its_model");
    for (uint64_t round = seeded_rounds(40, 4000); round > 0; round--) {
        const uint32_t slots = 2u << (seeded_next(&x) % 6);
        /* base: a multiple of slots, so that the fresh slots (0) are older in every case */
        const uint64_t base = seeded_next(&x) % 2 ? 0 : (seeded_next(&x) >> 3) & ~(uint64_t)(slots - 1);
        run_model(&x, slots, 64 * (1 + (uint32_t)(seeded_next(&x) % 8)), base);
    }
}

/* A sequence has 63 bits: the last 65,536 of them, and numbers around the wrap of 32 bits, are as good as the first. */
static void test_ring_sequences_near_their_end_are_as_good(void **state)
{
    (void)state;
    uint64_t x = seeded_seed("test_ring_sequences_near_their_end_are_as_good");
    for (uint32_t slots = 2; slots <= 64; slots *= 2) {
        run_model(&x, slots, 64, RING_BUSY - 65536);
        run_model(&x, slots, 128, (1ull << 32) - 1024);
        run_model(&x, slots, 64, (1ull << 31) - 1024);
    }
}

/* ---- half messages --------------------------------------------------------------------------------------------------- */
static void test_ring_reserved_message_is_not_there_and_its_elder_is_gone(void **state)
{
    (void)state;
    size_t        bytes;
    void         *ring = ring_make(4, 64, &bytes);
    ring_writer_t w;
    ring_reader_t old, now;
    ring_meta_t   meta;
    uint64_t      buf[8];
    assert_int_equal(ring_writer_join(&w, ring, bytes), ERR_OK);
    assert_int_equal(ring_reader_join(&old, ring, bytes, RING_OLDEST), ERR_OK);
    for (uint64_t n = 1; n <= 4; n++) {
        put(&w, n);
    }
    assert_int_equal(ring_reader_join(&now, ring, bytes, RING_NEWEST), ERR_OK);
    void *first = ring_reserve(&w);
    memset(first, 0xee, ring_room(&w));
    assert_ptr_equal(ring_reserve(&w), first);
    assert_int_equal(ring_read(&now, buf, sizeof(buf), &meta), ERR_EMPTY);
    assert_int_equal(ring_read(&old, buf, sizeof(buf), &meta), ERR_GAP);
    assert_int_equal(old.lost_from, 1);
    assert_int_equal(old.lost_to, 1);
    assert_int_equal(ring_read(&old, buf, sizeof(buf), &meta), ERR_OK);
    assert_true(is_message(buf, &meta, 2, 40));
    put(&w, 5);
    assert_int_equal(ring_read(&now, buf, sizeof(buf), &meta), ERR_OK);
    assert_true(is_message(buf, &meta, 5, 40));
    munmap(ring, bytes);
}

static void test_ring_writer_that_died_before_the_tail_goes_on_behind_its_message(void **state)
{
    (void)state;
    size_t            bytes;
    ring_broadcast_t *ring = ring_make(4, 64, &bytes);
    ring_writer_t     w;
    assert_int_equal(ring_writer_join(&w, ring, bytes), ERR_OK);
    put(&w, 1);
    put(&w, 2);
    ring->tail = 1;
    assert_int_equal(ring_writer_join(&w, ring, bytes), ERR_OK);
    put(&w, 3);
    munmap(ring, bytes);
}

/* P8: whatever bytes lie there, a reader comes back with an answer and stays inside (the sanitizers watch). */
static void test_ring_damage_never_crashes_a_reader(void **state)
{
    (void)state;
    uint64_t       x     = seeded_seed("test_ring_damage_never_crashes_a_reader");
    const uint32_t slots = 8, stride = 128;
    const size_t   bytes = ring_broadcast_footprint(slots, stride);
    uint8_t       *ring  = aligned_alloc(128, bytes); /* the heap: reading past it shows */
    uint64_t       ok = 0, gap = 0, parse = 0;
    for (uint64_t round = seeded_rounds(300, 100000); round > 0; round--) {
        ring_writer_t w;
        ring_reader_t r;
        memset(ring, 0, bytes);
        assert_non_null(ring_broadcast_new(ring, slots, stride));
        assert_int_equal(ring_writer_join(&w, ring, bytes), ERR_OK);
        assert_int_equal(ring_reader_join(&r, ring, bytes, RING_OLDEST), ERR_OK);
        r.after_loss = seeded_next(&x) % 2 ? RING_NEWEST : RING_OLDEST;
        for (int step = 0; step < 200; step++) {
            const uint64_t dice = seeded_next(&x);
            if (dice % 4 == 0) { /* anywhere, the head and the words too */
                ring[seeded_next(&x) % bytes] ^= (uint8_t)(1u << dice / 4 % 8);
            } else if (dice % 4 == 1) {
                put(&w, w.next);
            } else {
                _Alignas(8) uint8_t buf[128 - RING_SLOT_HEAD];
                ring_meta_t         meta;
                const uint64_t      before = r.next;
                const err_t         err    = ring_read(&r, buf, sizeof(buf), &meta);
                ok += err == ERR_OK;
                gap += err == ERR_GAP;
                parse += err == ERR_PARSE;
                assert_true(err == ERR_EMPTY ? r.next == before : r.next > before);
                assert_true(err != ERR_OK || meta.len <= sizeof(buf));
            }
        }
    }
    printf("damage: %llu read, %llu gaps, %llu refused\n", (unsigned long long)ok, (unsigned long long)gap,
           (unsigned long long)parse);
    assert_true(ok > 0 && gap > 0 && parse > 0);
    free(ring);
}

/* ---- threads and processes ------------------------------------------------------------------------------------------- */
typedef struct run {
    void        *ring;
    size_t       bytes;
    uint64_t     messages;
    ring_start_t after_loss;
    unsigned     slow; /* a pause of so many turns after each message */
    uint64_t     received, lost;
} run_t;

static void *read_all(void *arg)
{
    run_t              *run = arg;
    _Alignas(8) uint8_t buf[2048];
    ring_reader_t       r;
    MUST(ring_reader_join(&r, run->ring, run->bytes, RING_OLDEST) == ERR_OK);
    r.after_loss   = run->after_loss;
    uint64_t begin = r.next, received = 0;
    while (r.next <= run->messages) {
        ring_meta_t    meta;
        const uint64_t want = r.next;
        const err_t    err  = ring_read(&r, buf, sizeof(buf), &meta);
        if (err == ERR_OK) {
            MUST(is_message(buf, &meta, want, r.stride - RING_SLOT_HEAD));
            received++;
            for (unsigned i = 0; i < run->slow; i++) {
                __builtin_ia32_pause();
            }
        } else if (err == ERR_EMPTY) {
            sched_yield();
        } else {
            MUST(err == ERR_GAP && r.lost_from == want && r.lost_to == r.next - 1);
        }
    }
    MUST(begin - 1 + received + r.lost == r.next - 1 && r.next - 1 == run->messages);
    run->received = received;
    run->lost     = r.lost + begin - 1;
    return NULL;
}

static void write_all(const run_t *run)
{
    ring_writer_t w;
    MUST(ring_writer_join(&w, run->ring, run->bytes) == ERR_OK);
    for (uint64_t n = 1; n <= run->messages; n++) {
        put(&w, n);
        if (n % 512 == 0) {
            sched_yield(); /* two cores for all of us */
        }
    }
}

enum { READERS = 3 };

static void runs_make(run_t runs[READERS], uint64_t messages)
{
    size_t bytes;
    void  *ring = ring_make(256, 192, &bytes);
    for (int i = 0; i < READERS; i++) {
        runs[i] = (run_t){.ring       = ring,
                          .bytes      = bytes,
                          .messages   = messages,
                          .slow       = i == 2 ? 2000 : 0,
                          .after_loss = i == 1 ? RING_NEWEST : RING_OLDEST};
    }
}

static void test_ring_threads_lose_nothing_unsaid(void **state)
{
    (void)state;
    run_t     runs[READERS];
    pthread_t threads[READERS];
    runs_make(runs, seeded_rounds(200000, 20000000));
    for (int i = 0; i < READERS; i++) {
        MUST(pthread_create(&threads[i], NULL, read_all, &runs[i]) == 0);
    }
    write_all(&runs[0]);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < READERS; i++) {
        printf("thread %d: %llu received, %llu lost\n", i, (unsigned long long)runs[i].received,
               (unsigned long long)runs[i].lost);
        assert_int_equal(runs[i].received + runs[i].lost, runs[i].messages);
    }
    assert_true(runs[0].received >= 256 && runs[2].received >= 256); /* who goes on at the oldest gets the last lap */
    assert_true(runs[2].lost > 0);
    munmap(runs[0].ring, runs[0].bytes);
}

static void await(pid_t pid)
{
    int status;
    MUST(waitpid(pid, &status, 0) == pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_ring_processes_lose_nothing_unsaid(void **state)
{
    (void)state;
    run_t *runs = shared(sizeof(run_t) * READERS);
    pid_t  pids[READERS];
    runs_make(runs, seeded_rounds(200000, 20000000));
    for (int i = 0; i < READERS; i++) {
        if ((pids[i] = fork()) == 0) {
            read_all(&runs[i]);
            _exit(0);
        }
    }
    usleep(20000);
    kill(pids[0], SIGSTOP); /* structural: the writer reads nothing of theirs */
    write_all(&runs[0]);
    kill(pids[0], SIGCONT);
    for (int i = 0; i < READERS; i++) {
        await(pids[i]);
        printf("process %d: %llu received, %llu lost\n", i, (unsigned long long)runs[i].received,
               (unsigned long long)runs[i].lost);
        assert_int_equal(runs[i].received + runs[i].lost, runs[i].messages);
    }
    assert_true(runs[0].lost > runs[0].messages / 2 && runs[0].received >= 256);
    munmap(runs[0].ring, runs[0].bytes);
    munmap(runs, sizeof(run_t) * READERS);
}

/* P6: killed at once after reserve with half a payload, or at any moment: what can be read is whole, then nothing. */
static void test_ring_killed_writer_leaves_no_half_message(void **state)
{
    (void)state;
    uint64_t x    = seeded_seed("test_ring_killed_writer_leaves_no_half_message");
    uint64_t read = 0;
    for (uint64_t round = seeded_rounds(100, 5000); round > 0; round--) {
        size_t         bytes;
        void          *ring   = ring_make(16, 256, &bytes);
        const uint64_t before = seeded_next(&x) % 40;
        const bool     any    = round % 2 == 0;
        const pid_t    pid    = fork();
        if (pid == 0) {
            ring_writer_t w;
            MUST(ring_writer_join(&w, ring, bytes) == ERR_OK);
            for (uint64_t n = 1; any || n <= before; n++) {
                put(&w, n);
            }
            seeded_fill(ring_reserve(&w), w.next, seeded_len(w.next, ring_room(&w)) / 2);
            raise(SIGKILL);
        }
        if (any) {
            usleep((useconds_t)(seeded_next(&x) % 2000));
            kill(pid, SIGKILL);
        }
        MUST(waitpid(pid, NULL, 0) == pid);
        ring_reader_t       r;
        ring_meta_t         meta;
        _Alignas(8) uint8_t buf[256];
        assert_int_equal(ring_reader_join(&r, ring, bytes, RING_OLDEST), ERR_OK);
        for (err_t err; (err = ring_read(&r, buf, sizeof(buf), &meta)) != ERR_EMPTY;) {
            assert_true(err == ERR_OK || err == ERR_GAP);
            read += err == ERR_OK;
            assert_true(err == ERR_GAP || is_message(buf, &meta, r.next - 1, 232));
        }
        assert_true(any || r.next == before + 1);
        munmap(ring, bytes);
    }
    assert_true(read > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_refuses_sizes_by_name),
        cmocka_unit_test(test_ring_join_names_what_is_wrong),
        cmocka_unit_test(test_ring_fresh_is_empty),
        cmocka_unit_test(test_ring_is_its_model),
        cmocka_unit_test(test_ring_sequences_near_their_end_are_as_good),
        cmocka_unit_test(test_ring_reserved_message_is_not_there_and_its_elder_is_gone),
        cmocka_unit_test(test_ring_writer_that_died_before_the_tail_goes_on_behind_its_message),
        cmocka_unit_test(test_ring_damage_never_crashes_a_reader),
        cmocka_unit_test(test_ring_threads_lose_nothing_unsaid),
        cmocka_unit_test(test_ring_processes_lose_nothing_unsaid),
        cmocka_unit_test(test_ring_killed_writer_leaves_no_half_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
