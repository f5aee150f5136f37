/* Invariants of the lossless ring:
 *   - every message is read once, whole, in order, by however many lives of the reader; nothing is overwritten before it
 *     is taken; full is an answer
 *   - of a batch all or nothing is seen, also when its writer was killed in the middle of the commit; lossless_written
 *     agrees, from any position
 *   - neither side believes the other's counters beyond what can be; damage never crashes
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

#include "ipc/ring_lossless.h"
#include "tests/lib/seeded.h"

static void *shared(size_t bytes)
{
    void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(mem != MAP_FAILED);
    return mem;
}

typedef struct pair { /* a ring and the two segments that it lies in */
    void          *ring;
    size_t         bytes;
    ring_cursor_t *cursors; /* one for each life of the reader */
} pair_t;

/* A cursor as a reader of this ring would leave it. */
static void says(const pair_t *p, int i, uint64_t taken)
{
    p->cursors[i].taken   = taken;
    p->cursors[i].ring_id = ((const ring_head_t *)p->ring)->id;
}

enum { LIVES = 64 };

static pair_t pair_make(uint32_t slots, uint32_t stride)
{
    pair_t p = {.bytes = ring_lossless_footprint(slots, stride)};
    p.ring   = shared(p.bytes);
    MUST(ring_lossless_new(p.ring, slots, stride) == p.ring);
    p.cursors = shared(sizeof(ring_cursor_t) * LIVES);
    return p;
}

static void pair_free(pair_t *p)
{
    munmap(p->ring, p->bytes);
    munmap(p->cursors, sizeof(ring_cursor_t) * LIVES);
}

/* Message n of a batch says in its topic how many follow it there. */
static void fill(lossless_writer_t *w, uint32_t i, uint32_t behind)
{
    const uint64_t n   = w->next + i;
    const uint32_t len = seeded_len(n, lossless_payload_max(w));
    seeded_fill(lossless_slot(w, i), n, len);
    lossless_meta(w, i, &(ring_meta_t){.len = len, .type = (uint16_t)n, .topic = behind, .tenant = (uint32_t)(n * 3)});
}

static bool is_message(const void *payload, const ring_meta_t *meta, uint64_t n, uint32_t room)
{
    return meta->len == seeded_len(n, room) && meta->type == (uint16_t)n && meta->tenant == (uint32_t)(n * 3) &&
           meta->flags == 0 && seeded_whole(payload, n, meta->len);
}

static uint64_t commit_batch(lossless_writer_t *w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        fill(w, i, n - 1 - i);
    }
    return lossless_commit(w, n);
}

/* ---- sizes, joins ---------------------------------------------------------------------------------------------------- */
static void test_lossless_refuses_by_name(void **state)
{
    (void)state;
    assert_int_equal(ring_lossless_footprint(3, 64), 0);
    assert_non_null(strstr(err_msg(), "slots 3"));
    assert_int_equal(ring_lossless_footprint(1u << 21, 64), 0);
    assert_int_equal(ring_lossless_footprint(4, 100), 0);
    assert_non_null(strstr(err_msg(), "stride 100"));
    assert_int_equal(ring_lossless_footprint(2, 64), 128 + 2 * 64);

    pair_t            p = pair_make(4, 64);
    lossless_writer_t w;
    lossless_reader_t r;
    assert_int_equal(lossless_writer_join(&w, p.ring, p.bytes - 1), ERR_PARSE);
    assert_int_equal(lossless_reader_join(&r, p.ring, 127, NULL, 0), ERR_PARSE);
    assert_int_equal(lossless_reader_join(&r, p.ring, p.bytes, NULL, 1), ERR_STATE);
    assert_int_equal(lossless_writer_join(&w, p.ring, p.bytes), ERR_OK);
    lossless_writer_cursor(&w, &p.cursors[0]);
    for (uint64_t n = 1; n <= 6; n++) {
        assert_true(lossless_room(&w, 1) > 0);
        commit_batch(&w, 1);
        says(&p, 0, n > 3 ? 4 : 0);
        if (n == 3) {
            says(&p, 0, 2);
        }
    }
    assert_int_equal(lossless_writer_join(&w, p.ring, p.bytes), ERR_STATE); /* not fresh */
    assert_int_equal(lossless_reader_join(&r, p.ring, p.bytes, &p.cursors[1], 7), ERR_STATE);
    assert_int_equal(lossless_reader_join(&r, p.ring, p.bytes, &p.cursors[1], 1),
                     ERR_STATE); /* 2 is overwritten by 6 */
    assert_int_equal(p.cursors[1].taken, 0);
    assert_int_equal(lossless_reader_join(&r, p.ring, p.bytes, &p.cursors[1], 2), ERR_OK);
    assert_int_equal(p.cursors[1].taken, 2);
    assert_int_equal(lossless_reader_join(&r, p.ring, p.bytes, &p.cursors[1], 6), ERR_OK);
    assert_int_equal(lossless_reader_join(&r, p.ring, p.bytes, NULL, 0), ERR_OK); /* only looks */
    assert_int_equal(lossless_written(&r), 6);
    assert_int_equal(lossless_slots(&r), 4);
    pair_free(&p);
}

static void test_lossless_fresh_is_empty_and_full_is_an_answer(void **state)
{
    (void)state;
    pair_t            p = pair_make(4, 64);
    lossless_writer_t w;
    lossless_reader_t r;
    ring_meta_t       meta;
    const void       *payload;
    const uint64_t    word = 5;
    assert_int_equal(lossless_writer_join(&w, p.ring, p.bytes), ERR_OK);
    assert_int_equal(lossless_reader_join(&r, p.ring, p.bytes, &p.cursors[0], 0), ERR_OK);
    assert_int_equal(lossless_peek(&r, &meta, &payload), ERR_EMPTY);
    assert_int_equal(lossless_written(&r), 0);
    for (int i = 0; i < 4; i++) { /* nobody reads yet: nothing is lost all the same */
        assert_int_equal(lossless_put(&w, &(ring_meta_t){.len = 8}, &word), ERR_OK);
    }
    assert_int_equal(lossless_put(&w, &(ring_meta_t){.len = 8}, &word), ERR_FULL);
    lossless_writer_cursor(&w, &p.cursors[0]);
    assert_int_equal(lossless_put(&w, &(ring_meta_t){.len = 8}, &word), ERR_FULL);
    assert_int_equal(lossless_peek(&r, &meta, &payload), ERR_OK);
    assert_int_equal(lossless_room(&w, 1), 0); /* peeked is not taken */
    lossless_take(&r);
    assert_int_equal(lossless_room(&w, 1), 1);
    assert_int_equal(lossless_put(&w, &(ring_meta_t){.len = 8}, &word), ERR_OK);
    assert_int_equal(lossless_put(&w, &(ring_meta_t){.len = 8}, &word), ERR_FULL);
    lossless_writer_cursor(&w, NULL);
    assert_int_equal(lossless_put(&w, &(ring_meta_t){.len = 8}, &word), ERR_FULL);
    pair_free(&p);
}

/* ---- one thread, against a model: two numbers ------------------------------------------------------------------------- */
static void run_model(uint64_t *x, uint32_t slots, uint32_t stride)
{
    pair_t            p       = pair_make(slots, stride);
    uint64_t          written = 0, taken = 0;
    unsigned          life = 0;
    lossless_writer_t w;
    lossless_reader_t r, look;
    assert_int_equal(lossless_writer_join(&w, p.ring, p.bytes), ERR_OK);
    lossless_writer_cursor(&w, &p.cursors[0]);
    assert_int_equal(lossless_reader_join(&r, p.ring, p.bytes, &p.cursors[0], 0), ERR_OK);
    for (int step = 0; step < 3000; step++) {
        const uint64_t dice = seeded_next(x) % 100;
        ring_meta_t    meta;
        const void    *payload;
        if (dice < 40) {
            const uint32_t want = 1 + (uint32_t)(seeded_next(x) % slots);
            const uint32_t room = lossless_room(&w, want);
            assert_true(room >= want ? room <= slots - (written - taken) : room == slots - (written - taken));
            if (room >= want) {
                written += want;
                assert_int_equal(commit_batch(&w, want), written);
            }
        } else if (dice < 95) {
            const uint32_t want = (uint32_t)(seeded_next(x) % (slots + 1));
            uint32_t       got  = 0;
            while (got < want && taken + got < written) {
                assert_int_equal(lossless_peek_at(&r, got, &meta, &payload), ERR_OK);
                got++;
                assert_true(is_message(payload, &meta, taken + got, stride - RING_SLOT_HEAD));
            }
            if (taken + got == written) {
                assert_int_equal(lossless_peek_at(&r, got, &meta, &payload), ERR_EMPTY);
            }
            lossless_take_n(&r, got);
            taken += got;
        } else if (dice < 96 && life + 1 < LIVES) { /* a new life of the reader; the writer hears of it later */
            life++;
            assert_int_equal(lossless_reader_join(&r, p.ring, p.bytes, &p.cursors[life], taken), ERR_OK);
            assert_true(lossless_room(&w, slots) <= slots - (written - taken));
            lossless_writer_cursor(&w, &p.cursors[life]);
        } else { /* somebody looks */
            assert_int_equal(lossless_reader_join(&look, p.ring, p.bytes, NULL, dice % 2 ? 0 : taken), ERR_OK);
            assert_int_equal(lossless_written(&look), written);
        }
    }
    pair_free(&p);
}

static void test_lossless_is_its_model(void **state)
{
    (void)state;
    uint64_t x = seeded_seed("test_lossless_is_its_model");
    for (uint64_t round = seeded_rounds(60, 6000); round > 0; round--) {
        run_model(&x, 2u << (seeded_next(&x) % 6), 64 * (1 + (uint32_t)(seeded_next(&x) % 8)));
    }
}

/* ---- a commit that was cut off: all states of a small ring ------------------------------------------------------------ */
static void cut_commit(uint32_t slots, uint64_t written, uint64_t taken, uint32_t batch, uint32_t stored)
{
    pair_t            p = pair_make(slots, 64);
    lossless_writer_t w;
    lossless_reader_t r;
    ring_meta_t       meta;
    const void       *payload;
    assert_int_equal(lossless_writer_join(&w, p.ring, p.bytes), ERR_OK);
    lossless_writer_cursor(&w, &p.cursors[0]);
    for (uint64_t n = 1; n <= written; n++) {
        says(&p, 0, n - 1 < taken ? n - 1 : taken);
        assert_true(lossless_room(&w, 1) >= 1);
        commit_batch(&w, 1);
    }
    says(&p, 0, taken);
    assert_true(lossless_room(&w, batch) >= batch);
    for (uint32_t i = 0; i < batch; i++) {
        fill(&w, i, batch - 1 - i);
    }
    for (uint32_t i = batch - stored; i < batch; i++) { /* the first word never */
        lossless_slot_head(&w, i)->seq = w.next + i;
    }
    assert_int_equal(lossless_reader_join(&r, p.ring, p.bytes, &p.cursors[1], taken), ERR_OK);
    assert_int_equal(lossless_written(&r), written);
    for (uint64_t n = taken + 1; n <= written; n++) {
        assert_int_equal(lossless_peek(&r, &meta, &payload), ERR_OK);
        assert_true(is_message(payload, &meta, n, 40));
        lossless_take(&r);
    }
    assert_int_equal(lossless_peek(&r, &meta, &payload), ERR_EMPTY);
    assert_int_equal(lossless_written(&r), written);
    assert_int_equal(lossless_reader_join(&r, p.ring, p.bytes, NULL, 0), ERR_OK);
    assert_int_equal(lossless_written(&r), written);
    pair_free(&p);
}

static void test_lossless_cut_commit_shows_nothing_of_its_batch(void **state)
{
    (void)state;
    for (uint32_t slots = 2; slots <= 8; slots *= 2) {
        for (uint64_t written = 0; written <= 3 * slots; written++) {
            for (uint64_t taken = written > slots ? written - slots : 0; taken <= written; taken++) {
                const uint32_t room = slots - (uint32_t)(written - taken);
                for (uint32_t batch = 1; batch <= room; batch++) {
                    for (uint32_t stored = 0; stored < batch; stored++) {
                        cut_commit(slots, written, taken, batch, stored);
                    }
                }
            }
        }
    }
}

/* ---- trust ----------------------------------------------------------------------------------------------------------- */
static void test_lossless_writer_believes_no_cursor_that_cannot_be(void **state)
{
    (void)state;
    pair_t            p = pair_make(8, 64);
    lossless_writer_t w;
    assert_int_equal(lossless_writer_join(&w, p.ring, p.bytes), ERR_OK);
    lossless_writer_cursor(&w, &p.cursors[0]);
    commit_batch(&w, 8);
    says(&p, 0, 3);
    assert_int_equal(lossless_room(&w, 8), 3);
    static const uint64_t lies[] = {0, 2, 9, 1000, UINT64_MAX};
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        says(&p, 0, lies[i]);
        assert_int_equal(lossless_room(&w, 8), 3);
        says(&p, 1, lies[i]);
        lossless_writer_cursor(&w, &p.cursors[1]);
        assert_int_equal(lossless_room(&w, 8), 3);
        lossless_writer_cursor(&w, &p.cursors[0]);
    }
    says(&p, 0, 8);
    assert_int_equal(lossless_room(&w, 8), 8);
    pair_free(&p);
}

static void test_lossless_writer_ignores_a_position_in_another_ring(void **state)
{
    (void)state;
    pair_t            p = pair_make(8, 64), later = pair_make(8, 64);
    lossless_writer_t w, next;
    lossless_reader_t r;
    assert_int_equal(lossless_writer_join(&w, p.ring, p.bytes), ERR_OK);
    assert_int_equal(lossless_reader_join(&r, p.ring, p.bytes, &p.cursors[0], 0), ERR_OK);
    lossless_writer_cursor(&w, &p.cursors[0]);
    commit_batch(&w, 6);
    lossless_take_n(&r, 5);
    assert_int_equal(lossless_room(&w, 8), 7);
    /* the writer's next life looks at the same cursor while the reader is still in the old ring */
    assert_int_equal(lossless_writer_join(&next, later.ring, later.bytes), ERR_OK);
    lossless_writer_cursor(&next, &p.cursors[0]);
    commit_batch(&next, 8);
    assert_int_equal(lossless_room(&next, 1), 0);
    assert_int_equal(lossless_cursor_taken(&p.cursors[0], next.ring), 0);
    assert_int_equal(lossless_reader_join(&r, later.ring, later.bytes, &p.cursors[0], 0), ERR_OK);
    lossless_take_n(&r, 2);
    assert_int_equal(lossless_room(&next, 1), 2);
    assert_int_equal(lossless_room(&w, 8), 7); /* and the old one keeps what it knew */
    pair_free(&p);
    pair_free(&later);
}

static void test_lossless_damage_never_crashes_a_reader(void **state)
{
    (void)state;
    uint64_t       x     = seeded_seed("test_lossless_damage_never_crashes_a_reader");
    const uint32_t slots = 8, stride = 128;
    const size_t   bytes             = ring_lossless_footprint(slots, stride);
    uint8_t       *ring              = aligned_alloc(128, bytes); /* the heap: reading past it shows */
    uint64_t       counts[ERR_COUNT] = {0};
    for (uint64_t round = seeded_rounds(500, 100000); round > 0; round--) {
        ring_cursor_t     cursor = {0};
        lossless_writer_t w;
        lossless_reader_t r, look;
        memset(ring, 0, bytes);
        assert_non_null(ring_lossless_new(ring, slots, stride));
        assert_int_equal(lossless_writer_join(&w, ring, bytes), ERR_OK);
        assert_int_equal(lossless_reader_join(&r, ring, bytes, &cursor, 0), ERR_OK);
        lossless_writer_cursor(&w, &cursor);
        for (int step = 0; step < 100; step++) {
            const uint64_t dice = seeded_next(&x);
            if (dice % 8 == 0) {
                ring[seeded_next(&x) % bytes] ^= (uint8_t)(1u << dice / 8 % 8);
            } else if (dice % 8 == 1) {
                cursor.taken ^= 1ull << dice / 8 % 64;
            } else if (dice % 8 == 2 && lossless_reader_join(&look, ring, bytes, NULL, 0) == ERR_OK) {
                lossless_written(&look);
            } else if (dice % 8 < 5) {
                const uint32_t room = lossless_room(&w, 3);
                assert_true(room <= slots);
                if (room >= 1) {
                    commit_batch(&w, room < 3 ? room : 3);
                }
            } else {
                ring_meta_t meta;
                const void *payload;
                const err_t err = lossless_peek(&r, &meta, &payload);
                counts[err]++;
                assert_true(err == ERR_OK || err == ERR_EMPTY || err == ERR_PARSE);
                if (err == ERR_OK) {
                    assert_true((const uint8_t *)payload + meta.len <= ring + bytes);
                }
                if (err != ERR_EMPTY) {
                    lossless_take(&r);
                }
            }
        }
    }
    assert_true(counts[ERR_OK] > 0 && counts[ERR_PARSE] > 0 && counts[ERR_EMPTY] > 0);
    free(ring);
}

/* ---- threads and processes ------------------------------------------------------------------------------------------- */
typedef struct run {
    pair_t           pair;
    uint64_t         messages;
    _Atomic unsigned life;     /* of the reader: which cursor is its own */
    uint64_t         seen;     /* last message that the reader has processed; written before it is taken */
    uint64_t         repeated; /* processed and not taken when it was killed: comes again */
} run_t;

static void write_all(run_t *run, uint64_t seed)
{
    lossless_writer_t w;
    unsigned          life = 0;
    MUST(lossless_writer_join(&w, run->pair.ring, run->pair.bytes) == ERR_OK);
    lossless_writer_cursor(&w, &run->pair.cursors[0]);
    while (w.next <= run->messages) {
        if (life != run->life) { /* as the supervisor would tell */
            life = run->life;
            lossless_writer_cursor(&w, &run->pair.cursors[life]);
        }
        const uint32_t room = lossless_room(&w, 16);
        if (room == 0) {
            sched_yield();
            continue;
        }
        const uint32_t n = 1 + (uint32_t)(seeded_next(&seed) % (room < 16 ? room : 16));
        commit_batch(&w, n);
    }
}

/* One life: from what was taken to the end, or until it is killed. */
static void read_life(run_t *run, unsigned life, uint64_t taken, uint64_t until)
{
    lossless_reader_t r;
    uint32_t          batch = 0;
    MUST(lossless_reader_join(&r, run->pair.ring, run->pair.bytes, &run->pair.cursors[life], taken) == ERR_OK);
    run->life = life;
    while (r.next <= until) {
        ring_meta_t meta;
        const void *payload;
        const err_t err = lossless_peek(&r, &meta, &payload);
        MUST(err == ERR_OK || err == ERR_EMPTY);
        MUST(err == ERR_OK || batch == 0); /* the rest of a batch is there when its first is */
        if (err == ERR_EMPTY) {
            sched_yield();
            continue;
        }
        MUST(is_message(payload, &meta, r.next, r.stride - RING_SLOT_HEAD));
        batch = meta.topic;
        MUST(run->seen == r.next || run->seen + 1 == r.next);
        run->repeated += run->seen == r.next;
        run->seen = r.next;
        lossless_take(&r);
    }
}

static void *read_lives(void *arg)
{
    run_t   *run   = arg;
    uint64_t taken = 0;
    for (unsigned life = 0; life < 20; life++) {
        const uint64_t until = life == 19 ? run->messages : run->messages * (life + 1) / 20;
        read_life(run, life, taken, until);
        taken = run->seen;
    }
    return NULL;
}

static void test_lossless_threads_get_every_message_once(void **state)
{
    (void)state;
    const uint64_t seed = seeded_seed("test_lossless_threads_get_every_message_once");
    run_t          run  = {.pair = pair_make(1024, 192), .messages = seeded_rounds(200000, 20000000)};
    pthread_t      reader;
    MUST(pthread_create(&reader, NULL, read_lives, &run) == 0);
    write_all(&run, seed);
    pthread_join(reader, NULL);
    assert_int_equal(run.seen, run.messages);
    assert_int_equal(run.repeated, 0);
    pair_free(&run.pair);
}

/* The reader is killed again and again; its next life goes on at what its cursor says: nothing is lost, and at most the
 * one message in hand comes again. */
static void test_lossless_reader_killed_at_any_moment_loses_nothing(void **state)
{
    (void)state;
    uint64_t x       = seeded_seed("test_lossless_reader_killed_at_any_moment_loses_nothing");
    run_t   *run     = shared(sizeof(run_t));
    *run             = (run_t){.pair = pair_make(1024, 192), .messages = seeded_rounds(300000, 10000000)};
    const pid_t w    = fork();
    unsigned    life = 0;
    int         status;
    if (w == 0) {
        write_all(run, x);
        _exit(0);
    }
    for (;; life++) {
        const uint64_t taken = life ? run->pair.cursors[life - 1].taken : 0;
        const pid_t    r     = fork();
        if (r == 0) {
            read_life(run, life, taken, run->messages);
            _exit(0);
        }
        if (life + 1 < LIVES / 2) {
            usleep((useconds_t)(seeded_next(&x) % 3000));
            kill(r, SIGKILL);
        }
        MUST(waitpid(r, &status, 0) == r);
        MUST(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
        if (WIFEXITED(status)) {
            break;
        }
        if (run->life != life) { /* killed before it joined: its successor goes on from the elder's cursor */
            run->pair.cursors[life].taken = taken;
        }
    }
    MUST(waitpid(w, &status, 0) == w && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    printf("killed readers: %u, messages that came again: %llu\n", life, (unsigned long long)run->repeated);
    assert_int_equal(run->seen, run->messages);
    assert_true(run->repeated <= life);
    pair_free(&run->pair);
    munmap(run, sizeof(run_t));
}

static void test_lossless_writer_killed_at_any_moment_leaves_whole_batches(void **state)
{
    (void)state;
    uint64_t x     = seeded_seed("test_lossless_writer_killed_at_any_moment_leaves_whole_batches");
    uint64_t total = 0;
    for (uint64_t round = seeded_rounds(100, 10000); round > 0; round--) {
        run_t *run    = shared(sizeof(run_t));
        *run          = (run_t){.pair = pair_make(64, 128), .messages = UINT64_MAX / 2};
        const pid_t w = fork();
        if (w == 0) {
            write_all(run, x);
            _exit(0);
        }
        lossless_reader_t r;
        ring_meta_t       meta;
        const void       *payload;
        uint32_t          batch = 0;
        bool              dead  = false;
        const uint64_t    after = seeded_next(&x) % 1000;
        MUST(lossless_reader_join(&r, run->pair.ring, run->pair.bytes, &run->pair.cursors[0], 0) == ERR_OK);
        for (;;) {
            const err_t err = lossless_peek(&r, &meta, &payload);
            MUST(err == ERR_OK || (err == ERR_EMPTY && batch == 0));
            if (err == ERR_EMPTY && dead) {
                break;
            }
            if (err == ERR_OK) {
                MUST(is_message(payload, &meta, r.next, r.stride - RING_SLOT_HEAD));
                batch = meta.topic;
                lossless_take(&r);
            }
            if (!dead && r.next > after) {
                kill(w, SIGKILL);
                MUST(waitpid(w, NULL, 0) == w);
                dead = true;
            }
        }
        assert_int_equal(lossless_written(&r), r.next - 1);
        total += r.next - 1;
        pair_free(&run->pair);
        munmap(run, sizeof(run_t));
    }
    assert_true(total > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lossless_refuses_by_name),
        cmocka_unit_test(test_lossless_fresh_is_empty_and_full_is_an_answer),
        cmocka_unit_test(test_lossless_is_its_model),
        cmocka_unit_test(test_lossless_cut_commit_shows_nothing_of_its_batch),
        cmocka_unit_test(test_lossless_writer_believes_no_cursor_that_cannot_be),
        cmocka_unit_test(test_lossless_writer_ignores_a_position_in_another_ring),
        cmocka_unit_test(test_lossless_damage_never_crashes_a_reader),
        cmocka_unit_test(test_lossless_threads_get_every_message_once),
        cmocka_unit_test(test_lossless_reader_killed_at_any_moment_loses_nothing),
        cmocka_unit_test(test_lossless_writer_killed_at_any_moment_leaves_whole_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
