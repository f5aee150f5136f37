/* Chosen interleavings of the real code, all of them: the writer's stores are recorded, one word at a time, and put back
 * one by one between the loads of the real reader, at every place that there is.
 *
 *   - broadcast: what a reader accepts is message n, whole; what it calls lost is overwritten; what it calls not there is not
 *     committed; received + lost = written
 *   - lossless: whole, in order, of a batch all or nothing, at every moment of a commit
 *   - records: one write, whole, never a mixture; the version says which
 * and the same where a message's words arrive in another order than they were stored, or are read in another.
 *
 * The three sources are compiled into this program once more, with their loads, stores and copies replaced by functions
 * that count; nothing in them knows of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdatomic.h>

#include "ipc/words_copy.h"
#include "tests/lib/seeded.h"

#define STEPS_MAX 256u

typedef struct store {
    uint32_t at;   /* offset in the object, of 8 bytes */
    bool     body; /* may change places with its neighbours that may */
    uint64_t value;
} store_t;

static struct {
    uint8_t *mem; /* of the object; 8-aligned */
    size_t   bytes;
    bool     recording, playing;
    store_t  stores[STEPS_MAX];
    uint32_t store_count;
    uint32_t applied;           /* stores that the reader can see */
    uint32_t choice[STEPS_MAX]; /* by load: stores that are there before it */
    uint32_t depth;             /* choices that were made */
    uint32_t loads;             /* of this run */
    bool     backwards;         /* copies begin at their end */
    uint64_t runs;
} steps;

static bool inside(const void *at)
{
    return (const uint8_t *)at >= steps.mem && (const uint8_t *)at < steps.mem + steps.bytes;
}

/* A load of the reader: as many stores as this run has chosen come first. */
static void before_load(void)
{
    if (!steps.playing) {
        return;
    }
    MUST(steps.loads < STEPS_MAX);
    if (steps.loads == steps.depth) {
        steps.choice[steps.depth++] = steps.applied;
    }
    while (steps.applied < steps.choice[steps.loads]) {
        const store_t *s = &steps.stores[steps.applied++];
        memcpy(steps.mem + s->at, &s->value, 8);
    }
    steps.loads++;
}

static void record(void *at, uint64_t value, bool body)
{
    if (steps.recording && inside(at)) {
        MUST(steps.store_count < STEPS_MAX);
        steps.stores[steps.store_count++] =
            (store_t){.at = (uint32_t)((uint8_t *)at - steps.mem), .body = body, .value = value};
    }
    memcpy(at, &value, 8);
}

static uint64_t step_load(const _Atomic uint64_t *at, memory_order order)
{
    if (inside((const uint8_t *)(uintptr_t)at)) {
        before_load();
    }
    return atomic_load_explicit(at, order);
}

static void step_store(_Atomic uint64_t *at, uint64_t value, memory_order order)
{
    (void)order;
    record((uint8_t *)(uintptr_t)at, value, false);
}

static void step_copy(void *dst, const void *src, size_t bytes)
{
    MUST(bytes % 8 == 0);
    for (size_t i = 0; i < bytes / 8; i++) {
        const size_t word = steps.backwards ? bytes / 8 - 1 - i : i;
        uint64_t     value;
        if (inside(src)) {
            before_load();
        }
        memcpy(&value, (const uint8_t *)src + 8 * word, 8);
        record((uint8_t *)dst + 8 * word, value, true);
    }
}

#undef atomic_load_explicit
#undef atomic_store_explicit
#define atomic_load_explicit step_load
#define atomic_store_explicit step_store
#define words_copy step_copy
#include "ipc/records.h"
#include "ipc/ring_broadcast.h"
#include "ipc/ring_lossless.h"
#undef RECORDS_TRIES
#define RECORDS_TRIES 2u /* each try multiplies the runs */
#include "ipc/records.c"
#include "ipc/ring_broadcast.c"
#include "ipc/ring_lossless.c"

/* ---- the machine ------------------------------------------------------------------------------------------------------ */
enum { OBJECT_BYTES = 1024 };
static _Alignas(128) uint8_t object[OBJECT_BYTES], before[OBJECT_BYTES];

static void object_is(size_t bytes)
{
    MUST(bytes <= sizeof(object));
    memset(object, 0, sizeof(object));
    memset(&steps, 0, sizeof(steps));
    steps.mem   = object;
    steps.bytes = bytes;
}

static void record_begin(void)
{
    memcpy(before, object, sizeof(before));
    steps.recording = true;
}

/* From here on the writer's stores are not there, until the reader meets them. seed: 0 = in the order of the program, else
 * neighbours of one body come in another order. */
static void record_end(uint64_t seed)
{
    steps.recording = false;
    for (uint32_t i = 0; seed != 0 && i + 1 < steps.store_count; i++) {
        uint32_t run = i;
        while (run < steps.store_count && steps.stores[run].body) {
            run++;
        }
        if (run > i + 1) {
            const uint32_t other = i + (uint32_t)(seeded_next(&seed) % (run - i));
            const store_t  swap  = steps.stores[i];
            steps.stores[i]      = steps.stores[other];
            steps.stores[other]  = swap;
        }
    }
}

static void play_begin(void)
{
    memcpy(object, before, sizeof(object));
    steps.applied = steps.loads = 0;
    steps.playing               = true;
    steps.runs++;
}

/* The rest of the writer's stores. */
static void play_end(void)
{
    for (steps.playing = false; steps.applied < steps.store_count; steps.applied++) {
        const store_t *s = &steps.stores[steps.applied];
        memcpy(steps.mem + s->at, &s->value, 8);
    }
}

/* The next interleaving; false = that was all of them. */
static bool play_again(void)
{
    while (steps.depth > 0 && steps.choice[steps.depth - 1] == steps.store_count) {
        steps.depth--;
    }
    if (steps.depth == 0) {
        return false;
    }
    steps.choice[steps.depth - 1]++;
    return true;
}

/* A payload, word by word, as a producer writes it. */
static void fill(void *payload, uint64_t n, uint32_t len)
{
    for (uint32_t i = 0; i < len / 8; i++) {
        record((uint8_t *)payload + 8 * (size_t)i, seeded_word(n, i), true);
    }
}

/* ---- broadcast -------------------------------------------------------------------------------------------------------- */
enum { SLOTS = 2, LEN = 16 };

static uint32_t begins[16], ends[16]; /* by message: stores with which it is begun, and committed; 0: always there */

static void cast(ring_writer_t *w)
{
    const uint64_t n = w->next;
    void *const    p = ring_reserve(w);
    begins[n]        = steps.store_count;
    fill(p, n, LEN);
    ring_commit(w, &(ring_meta_t){.len = LEN, .type = (uint16_t)n, .topic = (uint32_t)n * 7});
    ends[n] = steps.store_count - (steps.store_count > 0); /* the tail comes behind it */
}

static uint64_t committed_at(uint32_t stores, uint64_t last)
{
    uint64_t n = 0;
    while (n < last && ends[n + 1] <= stores) {
        n++;
    }
    return n;
}

/* One reader, from its position, in every interleaving with the writer's messages first..last. */
static void every_read(uint64_t want, uint64_t first, uint64_t last, bool newest, uint64_t seed)
{
    ring_writer_t w     = {0};
    const size_t  bytes = ring_broadcast_footprint(SLOTS, 64);
    object_is(bytes);
    memset(begins, 0, sizeof(begins));
    memset(ends, 0, sizeof(ends));
    assert_non_null(ring_broadcast_new(object, SLOTS, 64));
    assert_int_equal(ring_writer_join(&w, object, bytes), ERR_OK);
    while (w.next < first) {
        cast(&w);
    }
    record_begin();
    while (w.next <= last) {
        cast(&w);
    }
    record_end(seed);
    steps.backwards          = seed % 2;
    uint64_t said[ERR_COUNT] = {0};
    do {
        ring_reader_t r;
        uint64_t      buf[5] = {0}, received = 0;
        ring_meta_t   meta;
        play_begin();
        steps.playing = false;
        MUST(ring_reader_join(&r, object, bytes, RING_OLDEST) == ERR_OK);
        ring_reader_seek(&r, want);
        r.after_loss           = newest ? RING_NEWEST : RING_OLDEST;
        steps.playing          = true;
        const err_t    err     = ring_read(&r, buf, sizeof(buf), &meta);
        const uint32_t at_once = steps.choice[0], at_end = steps.applied;
        said[err]++;
        if (err == ERR_OK) {
            MUST(committed_at(at_once, last) >= want && r.next == want + 1);
            MUST(meta.len == LEN && meta.type == want && meta.topic == want * 7 && seeded_whole(buf, want, LEN));
        } else if (err == ERR_EMPTY) {
            MUST(committed_at(at_once, last) < want && r.next == want);
        } else {
            MUST(err == ERR_GAP && r.lost_from == want && r.lost_to == r.next - 1 && r.next > want);
            MUST(want + SLOTS <= last && begins[want + SLOTS] <= at_end); /* it is overwritten */
            MUST(r.next <= committed_at(at_end, last) + 1);               /* no more is called lost than was written */
            MUST(newest || r.next == want + 1 ||
                 r.next <= committed_at(at_end, last) - (SLOTS - 1)); /* nor what is kept */
        }
        play_end();
        received += err == ERR_OK;
        for (err_t more; (more = ring_read(&r, buf, sizeof(buf), &meta)) != ERR_EMPTY;) {
            MUST(more == ERR_OK || more == ERR_GAP);
            MUST(more == ERR_GAP || (meta.type == r.next - 1 && seeded_whole(buf, r.next - 1, LEN)));
            received += more == ERR_OK;
        }
        MUST(want - 1 + received + r.lost == last);
    } while (play_again());
    printf(
        "broadcast, message %u while %u..%u are written%s: %llu interleavings: %llu read, %llu lost, %llu not there\n",
        (unsigned)want, (unsigned)first, (unsigned)last, seed ? ", words in another order" : "",
        (unsigned long long)steps.runs, (unsigned long long)said[ERR_OK], (unsigned long long)said[ERR_GAP],
        (unsigned long long)said[ERR_EMPTY]);
    assert_true(steps.runs > 1000 && said[ERR_OK] > 0);
}

static void test_ring_reader_accepts_whole_messages_in_every_interleaving(void **state)
{
    (void)state;
    const uint64_t seed = seeded_seed("test_ring_reader_accepts_whole_messages_in_every_interleaving");
    every_read(1, 1, 2, false, 0); /* it comes */
    every_read(1, 3, 4, false, 0); /* it goes: overwritten while it is read */
#ifndef __SANITIZE_THREAD__        /* a million each; there is one thread */
    every_read(1, 2, 4, true, 0);
    every_read(2, 3, 5, false, 0); /* the one behind it first */
#endif
    for (uint64_t round = 0; round < seeded_rounds(6, 200); round++) {
        every_read(1, 3, 4, round % 4 == 3, seed * 1000 + round + 1);
        every_read(1, 1, 2, false, seed * 1000 + round + 1);
    }
    every_read(1, 1, 3, false, 0); /* it comes and goes */
}

/* ---- lossless --------------------------------------------------------------------------------------------------------- */
static void every_peek(uint32_t slots, uint32_t passed, uint32_t one, uint32_t two, uint64_t seed)
{
    const size_t      bytes  = ring_lossless_footprint(slots, 64);
    ring_cursor_t     cursor = {0};
    lossless_writer_t w      = {0};
    object_is(bytes);
    assert_non_null(ring_lossless_new(object, slots, 64));
    assert_int_equal(lossless_writer_join(&w, object, bytes), ERR_OK);
    lossless_writer_cursor(&w, &cursor);
    for (uint32_t i = 0; i <= passed; i++) {
        if (i == passed) {
            record_begin();
        }
        const uint32_t batches[2] = {i < passed ? 1 : one, i < passed ? 0 : two};
        for (uint32_t b = 0; b < 2 && batches[b]; b++) {
            assert_true(lossless_room(&w, batches[b]) >= batches[b]);
            for (uint32_t k = 0; k < batches[b]; k++) {
                fill(lossless_slot(&w, k), w.next + k, LEN);
                /* the metadata is a plain struct: two words of the body */
                const ring_meta_t meta = {.len = LEN, .topic = batches[b] - 1 - k, .tenant = (uint32_t)(w.next + k)};
                step_copy((uint8_t *)lossless_slot_head(&w, k) + 8, &meta, sizeof(meta));
            }
            lossless_commit(&w, batches[b]);
        }
        if (i < passed) {
            cursor.ring_id = ((const ring_head_t *)(const void *)object)->id;
            cursor.taken   = i + 1;
        }
    }
    record_end(seed);
    do {
        lossless_reader_t r;
        uint32_t          behind = 0;
        play_begin();
        steps.playing = false;
        MUST(lossless_reader_join(&r, object, bytes, NULL, passed) == ERR_OK);
        for (int look = 0; look < 3; look++) { /* what is found at three moments */
            steps.playing = true;
            for (uint32_t i = 0;; i++) {
                ring_meta_t meta;
                const void *payload;
                const err_t err = lossless_peek_at(&r, i, &meta, &payload);
                if (err == ERR_EMPTY || i == slots) {
                    MUST(behind == 0); /* of a batch all or nothing */
                    lossless_take_n(&r, i);
                    break;
                }
                MUST(err == ERR_OK && meta.len == LEN && meta.tenant == r.next + i);
                MUST(seeded_whole(payload, r.next + i, LEN));
                MUST(behind == 0 || meta.topic == behind - 1);
                behind = meta.topic;
            }
            steps.playing = false;
            MUST(lossless_written(&r) >= r.next - 1);
        }
        play_end();
        MUST(lossless_written(&r) == passed + one + two);
    } while (play_again());
    assert_true(steps.runs > 100);
}

static void test_lossless_batch_is_whole_in_every_interleaving(void **state)
{
    (void)state;
    const uint64_t seed = seeded_seed("test_lossless_batch_is_whole_in_every_interleaving");
    uint64_t       runs = 0;
    for (uint32_t passed = 0; passed <= 3; passed++) {
        for (uint64_t round = 0; round < seeded_rounds(4, 60); round++) {
            every_peek(2, passed, 2, 0, round ? seed * 1000 + round : 0);
            runs += steps.runs;
            every_peek(4, passed, 2, 1, round ? seed * 1000 + round : 0);
            runs += steps.runs;
            every_peek(4, passed, 1, 3, round ? seed * 1000 + round : 0);
            runs += steps.runs;
        }
    }
    printf("lossless: %llu interleavings\n", (unsigned long long)runs);
}

/* ---- records ---------------------------------------------------------------------------------------------------------- */
static void every_record(uint32_t there, uint32_t writes, uint64_t seed)
{
    const size_t     bytes           = records_footprint(1, 64);
    records_writer_t w               = {0};
    uint64_t         said[ERR_COUNT] = {0};
    object_is(bytes);
    assert_non_null(records_new(object, 1, 64));
    assert_int_equal(records_writer_join(&w, object, bytes), ERR_OK);
    for (uint32_t n = 1; n <= there + writes; n++) {
        if (n == there + 1) {
            record_begin();
        }
        fill(records_begin(&w, 0), n, LEN);
        records_end(&w, 0, &(ring_meta_t){.len = LEN, .topic = n});
    }
    record_end(seed);
    steps.backwards = seed % 2;
    do {
        records_reader_t r;
        uint64_t         buf[5] = {0}, version = 0;
        ring_meta_t      meta;
        play_begin();
        steps.playing = false;
        MUST(records_reader_join(&r, object, bytes) == ERR_OK);
        steps.playing   = true;
        const err_t err = records_read(&r, 0, buf, sizeof(buf), &meta, &version);
        said[err]++;
        MUST(err == ERR_OK || err == ERR_AGAIN || (err == ERR_EMPTY && there == 0));
        if (err == ERR_OK) {
            MUST(version >= 1 && version >= there && version <= there + writes);
            MUST(meta.len == LEN && meta.topic == version && seeded_whole(buf, version, LEN));
        }
        play_end();
        MUST(records_read(&r, 0, buf, sizeof(buf), &meta, &version) == ERR_OK && version == there + writes);
    } while (play_again());
    printf("records, %u writes behind %u: %llu interleavings: %llu whole, %llu again\n", writes, there,
           (unsigned long long)steps.runs, (unsigned long long)said[ERR_OK], (unsigned long long)said[ERR_AGAIN]);
    assert_true(steps.runs > 20 && said[ERR_OK] > 0 && said[ERR_AGAIN] > 0);
}

static void test_records_are_never_a_mixture_in_any_interleaving(void **state)
{
    (void)state;
    const uint64_t seed = seeded_seed("test_records_are_never_a_mixture_in_any_interleaving");
    every_record(0, 1, 0);
    for (uint64_t round = 0; round < seeded_rounds(3, 60); round++) {
        every_record(1, 1, round ? seed * 1000 + round : 0);
    }
    if (getenv("HWAL_SOAK") != NULL) {
        every_record(1, 2, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_reader_accepts_whole_messages_in_every_interleaving),
        cmocka_unit_test(test_lossless_batch_is_whole_in_every_interleaving),
        cmocka_unit_test(test_records_are_never_a_mixture_in_any_interleaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
