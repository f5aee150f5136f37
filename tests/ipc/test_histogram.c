/* Histograms in shared memory. Invariants checked:
 *   - new refuses a bad unit; a join refuses every damage of the head, and says which
 *   - against a slow exact model, seeded: every counter, count, sum, maximum with the sequence of its (first) event, of the
 *     whole life and of each of the last 64 epochs, far beyond the wrap of their ring; older ones are not found
 *   - quantiles within one thousandth of a sorted array's, exact below 2048, never above the maximum
 *   - minus: a copy minus an earlier one is what was recorded between; merge: the parts are the whole; what is no earlier
 *     copy is refused and nothing changes
 *   - while it is written (thread, and process with a read-only mapping): count is never ahead of the counters, copies
 *     never run backwards, no maximum is seen beside the sequence of another event, none is below a counted value
 *   - a writer that died in the middle of a maximum: a bound of three digits without a sequence, the rest as it was */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/histogram.h"
#include "tests/lib/seeded.h"

#ifdef __SANITIZE_THREAD__ /* some twenty times slower */
#define SLOWER 20
#else
#define SLOWER 1
#endif

static uint64_t seed;
static _Alignas(128) uint8_t mem[sizeof(histogram_t)];
static histogram_copy_t one, two, three, four;

static uint64_t rnd(void)
{
    return seeded_next(&seed);
}

static histogram_t *fresh(int64_t mono_ns)
{
    memset(mem, 0, sizeof mem);
    histogram_t *h = histogram_new(mem, "ns", mono_ns);
    assert_non_null(h);
    return h;
}

/* ---- life cycle ------------------------------------------------------------------------------------------------------ */
static void refused(const char *word)
{
    const histogram_t *h   = NULL;
    histogram_t       *own = NULL;
    assert_int_equal(histogram_join(mem, sizeof mem, &h), ERR_PARSE);
    assert_non_null(strstr(err_msg(), word));
    assert_int_equal(histogram_writer_join(mem, sizeof mem, &own), ERR_PARSE);
    assert_true(h == NULL && own == NULL);
}

static void test_histogram_join_refuses_what_is_none(void **state)
{
    (void)state;
    const histogram_t *r   = NULL;
    histogram_t       *own = NULL;
    memset(mem, 0, sizeof mem);
    refused("magic"); /* not yet formatted */
    assert_null(histogram_new(mem, "", 0));
    assert_null(histogram_new(mem, "sixteen letters.", 0));
    refused("magic"); /* and it stays so */
    histogram_t *h = fresh(5);
    assert_int_equal(histogram_footprint(), sizeof mem);
    assert_int_equal(histogram_join(mem, sizeof mem, &r), ERR_OK);
    assert_int_equal(histogram_writer_join(mem, sizeof mem, &own), ERR_OK);
    assert_true((const void *)r == mem && (void *)own == mem);
    assert_string_equal(r->unit, "ns");
    assert_int_equal(histogram_join(mem, sizeof mem - 1, &r), ERR_PARSE);
    assert_int_equal(histogram_join(mem + 64, sizeof mem, &r), ERR_PARSE);
    assert_int_equal(histogram_join(NULL, sizeof mem, &r), ERR_PARSE);
    h->magic ^= 1;
    refused("magic");
    h = fresh(5);
    h->counters--;
    refused("counters");
    h = fresh(5);
    h->epochs++;
    refused("epochs");
    h = fresh(5);
    memset(h->unit, 'n', sizeof h->unit);
    refused("unit");
    h->unit[0] = '\0';
    refused("unit");
}

static void test_histogram_fresh_is_empty(void **state)
{
    (void)state;
    histogram_t      *h = fresh(77);
    histogram_epoch_t e;
    histogram_copy(h, &one);
    assert_true(one.count == 0 && one.sum == 0 && one.max == 0 && one.max_seq == 0);
    assert_true(histogram_quantile(&one, 500000) == 0 && histogram_count(h) == 0);
    assert_int_equal(histogram_epoch_newest(h), 1);
    assert_int_equal(histogram_epoch_at(h, 1, &e), ERR_OK);
    assert_true(e.number == 1 && e.began_ns == 77 && e.ended_ns == 0 && e.count == 0 && e.max_seq == 0);
    assert_int_equal(histogram_epoch_at(h, 0, &e), ERR_NOT_FOUND);
    assert_int_equal(histogram_epoch_at(h, 2, &e), ERR_NOT_FOUND);
}

/* ---- against the model ----------------------------------------------------------------------------------------------- */
#define MODEL_EPOCHS 200
typedef struct model_span {
    int64_t  began_ns;
    uint64_t count, sum, max, max_seq;
} model_span_t;

static void model_add(model_span_t *s, uint64_t value, uint64_t seq)
{
    if (s->count == 0 || value > s->max) {
        s->max     = value;
        s->max_seq = seq;
    }
    s->count++;
    s->sum += value;
}

/* A slow search instead of the index's bits: the last counter whose values begin at or below value. */
static uint32_t model_index(uint64_t value)
{
    uint32_t low = 0, high = HISTOGRAM_COUNTERS - 1;
    while (low < high) {
        const uint32_t mid = (low + high + 1) / 2;
        if (histogram_lowest(mid) <= value) {
            low = mid;
        } else {
            high = mid - 1;
        }
    }
    return low;
}

static uint64_t random_value(void)
{
    switch (rnd() % 6) {
    case 0: return 0;
    case 1: return rnd() % 4096;
    case 2: return UINT64_MAX - rnd() % 2;
    case 3: return 1ull << rnd() % 64;
    default: return rnd() >> rnd() % 64;
    }
}

static void check_spans(const histogram_t *h, const model_span_t *life, const model_span_t *epoch, uint64_t newest)
{
    histogram_epoch_t e;
    histogram_copy(h, &one);
    assert_true(one.count == life->count && one.sum == life->sum && histogram_count(h) == life->count);
    assert_true(one.max == life->max && one.max_seq == life->max_seq);
    assert_int_equal(histogram_epoch_newest(h), newest);
    assert_int_equal(histogram_epoch_at(h, newest + 1, &e), ERR_NOT_FOUND);
    for (uint64_t n = 1; n <= newest; n++) {
        const model_span_t *want = &epoch[n];
        const err_t         err  = histogram_epoch_at(h, n, &e);
        if (newest - n >= HISTOGRAM_EPOCHS) {
            assert_int_equal(err, ERR_NOT_FOUND);
            continue;
        }
        assert_int_equal(err, ERR_OK);
        assert_true(e.number == n && e.began_ns == want->began_ns && e.count == want->count && e.sum == want->sum);
        assert_true(e.max == want->max && e.max_seq == want->max_seq);
        assert_true(e.ended_ns == (n < newest ? epoch[n + 1].began_ns : 0));
    }
}

static void test_histogram_is_its_model(void **state)
{
    (void)state;
    static uint64_t     counters[HISTOGRAM_COUNTERS];
    static model_span_t epoch[MODEL_EPOCHS + 2];
    model_span_t        life   = {0};
    uint64_t            newest = 1, seq = 0;
    int64_t             now = 1000;
    histogram_t        *h   = fresh(now);
    memset(counters, 0, sizeof counters);
    memset(epoch, 0, sizeof epoch);
    epoch[1].began_ns = now;
    while (newest < MODEL_EPOCHS) {
        const uint64_t value = random_value();
        seq += 1 + rnd() % 3;
        if (rnd() % 10 != 0 || newest % 7 != 0) { /* some epochs are empty or nearly so */
            histogram_record(h, value, seq);
            model_add(&life, value, seq);
            model_add(&epoch[newest], value, seq);
            counters[model_index(value)]++;
        }
        now += (int64_t)(rnd() % (HISTOGRAM_EPOCH_NS / 4));
        histogram_epoch(h, now);
        if (now - epoch[newest].began_ns >= HISTOGRAM_EPOCH_NS) {
            epoch[++newest].began_ns = now;
        }
        if (rnd() % 40 == 0) {
            check_spans(h, &life, epoch, newest);
        }
    }
    check_spans(h, &life, epoch, newest);
    assert_memory_equal(one.counter, counters, sizeof counters);
}

static int rising(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void test_histogram_quantiles_match_a_sorted_array(void **state)
{
    enum { N = 20000 };
    static uint64_t v[N];
    histogram_t    *h = fresh(0);
    (void)state;
    for (int i = 0; i < N; i++) {
        v[i] = rnd() >> (24 + rnd() % 40);
        histogram_record(h, v[i], 1);
    }
    qsort(v, N, sizeof v[0], rising);
    histogram_copy(h, &one);
    for (uint32_t q = 1000; q <= 1000000; q += 1000) {
        const uint64_t exact = v[((uint64_t)N * q + 999999) / 1000000 - 1], got = histogram_quantile(&one, q);
        assert_true(got >= exact && got <= v[N - 1]);
        assert_true(got - exact <= exact / 1000);
    }
}

static void test_histogram_edges(void **state)
{
    (void)state;
    histogram_t *h = fresh(0);
    histogram_record(h, UINT64_MAX, 9);
    histogram_record(h, UINT64_MAX, 10); /* no new maximum, though nothing is larger than the bar */
    histogram_copy(h, &one);
    assert_true(histogram_quantile(&one, 500000) == UINT64_MAX && one.max_seq == 9);
    for (uint64_t v = 1; v < 1ull << HISTOGRAM_BITS; v *= 2) {
        assert_true(histogram_index(v) > histogram_index(v - 1));
        assert_true(histogram_index(v) < HISTOGRAM_COUNTERS);
    }
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        assert_int_equal(histogram_index(histogram_lowest(i)), i);
        assert_int_equal(histogram_index(histogram_highest(i)), i);
    }
}

/* ---- intervals and sums ---------------------------------------------------------------------------------------------- */
static void record_some(histogram_t *h, model_span_t *s, uint64_t *seq)
{
    for (uint64_t n = rnd() % 300; n > 0; n--) {
        const uint64_t value = rnd() >> (24 + rnd() % 40); /* below 2^40: a bound is one of three digits */
        histogram_record(h, value, ++*seq);
        model_add(s, value, *seq);
    }
}

static void check_interval(const histogram_copy_t *got, const model_span_t *want)
{
    assert_true(got->count == want->count && got->sum == want->sum);
    assert_true(got->max >= want->max && got->max - want->max <= want->max / 1000);
    if (got->max_seq != 0) {
        assert_true(got->max == want->max && got->max_seq == want->max_seq);
    }
}

static void test_histogram_minus_and_merge(void **state)
{
    (void)state;
    for (int round = 0; round < (getenv("HWAL_QUICK") ? 20 : 200 / SLOWER); round++) {
        histogram_t *h = fresh(0);
        model_span_t a = {0}, b = {0}, c = {0};
        uint64_t     seq = 0;
        record_some(h, &a, &seq);
        histogram_copy(h, &one);
        record_some(h, &b, &seq);
        histogram_copy(h, &two);
        record_some(h, &c, &seq);
        histogram_copy(h, &three);
        const bool rose = c.count != 0 && c.max > two.max;

        four = three; /* c alone */
        assert_int_equal(histogram_minus(&four, &two), ERR_OK);
        check_interval(&four, &c);
        assert_true(!rose || four.max_seq == c.max_seq);
        histogram_copy_t *b_alone = malloc(sizeof *b_alone);
        *b_alone                  = two;
        assert_int_equal(histogram_minus(b_alone, &one), ERR_OK);
        check_interval(b_alone, &b);
        histogram_merge(&four, b_alone); /* c + b = all - a */
        *b_alone = three;
        assert_int_equal(histogram_minus(b_alone, &one), ERR_OK);
        assert_memory_equal(four.counter, b_alone->counter, sizeof four.counter);
        assert_true(four.count == b_alone->count && four.sum == b_alone->sum);
        histogram_merge(&four, &one);
        assert_memory_equal(four.counter, three.counter, sizeof four.counter);
        assert_true(four.count == three.count && four.sum == three.sum && four.max >= three.max);
        if (a.max >= b.max && a.max >= c.max && a.count != 0) {
            assert_true(four.max - three.max <= three.max / 1000);
        }
        if (c.count != 0) { /* the other way round it is none */
            *b_alone = two;
            assert_int_equal(histogram_minus(b_alone, &three), ERR_STATE);
            assert_memory_equal(b_alone, &two, sizeof two);
        }
        four = three; /* nothing between */
        assert_int_equal(histogram_minus(&four, &three), ERR_OK);
        assert_true(four.count == 0 && four.sum == 0 && histogram_quantile(&four, 990000) == 0);
        free(b_alone);
    }
}

static void test_histogram_merge_keeps_the_larger_event(void **state)
{
    (void)state;
    histogram_t *h = fresh(0);
    histogram_record(h, 70, 7);
    histogram_copy(h, &one);
    h = fresh(0);
    histogram_record(h, 90, 3);
    histogram_copy(h, &two);
    three = one;
    histogram_merge(&three, &two);
    assert_true(three.max == 90 && three.max_seq == 3 && three.count == 2 && three.sum == 160);
    histogram_merge(&two, &one);
    assert_true(two.max == 90 && two.max_seq == 3);
    memset(&three, 0, sizeof three); /* nothing, and one whose only value is 0 */
    h = fresh(0);
    histogram_record(h, 0, 5);
    histogram_copy(h, &one);
    histogram_merge(&three, &one);
    assert_true(three.count == 1 && three.max == 0 && three.max_seq == 5);
    h = fresh(0); /* the bound of an interval is none above the maximum of all */
    histogram_record(h, 5000000, 1);
    histogram_copy(h, &one);
    histogram_record(h, 4999999, 2);
    histogram_copy(h, &four);
    assert_int_equal(histogram_index(4999999), histogram_index(5000000));
    assert_int_equal(histogram_minus(&four, &one), ERR_OK);
    assert_true(four.max == 5000000 && four.max_seq == 0);
    memset(&two, 0, sizeof two);
    assert_int_equal(histogram_minus(&three, &two), ERR_OK); /* and taken from it: its event is not lost */
    assert_true(three.count == 1 && three.max_seq == 5);
}

/* ---- read while written ---------------------------------------------------------------------------------------------- */
/* The value of an event is a function of its sequence, so that every pair can be checked by whoever sees it. Most of
 * the time each is larger than all before it: the lock is taken by every record. */
static uint64_t value_of(uint64_t seq)
{
    const uint64_t mixed = (seq * 0x9e3779b97f4a7c15u) >> 44;
    return seq / 4096 % 8 ? seq * 16 : mixed;
}

typedef struct race {
    histogram_t     *h;
    _Atomic uint64_t looked; /* by the readers */
    _Atomic bool     over;
    uint64_t         events;
} race_t;

static void *race_write(void *arg)
{
    race_t *r   = arg;
    int64_t now = 0;
    for (uint64_t seq = 1; seq <= r->events || atomic_load(&r->looked) < 60 / SLOWER; seq++) {
        histogram_record(r->h, value_of(seq), seq);
        if (seq % 1500 == 0) {
            now += HISTOGRAM_EPOCH_NS;
            histogram_epoch(r->h, now);
        }
    }
    atomic_store(&r->over, true);
    return NULL;
}

static void look(const histogram_t *h, histogram_copy_t *copy, histogram_copy_t *before)
{
    histogram_epoch_t e;
    const uint64_t    count = histogram_count(h);
    uint64_t          sum   = 0;
    uint32_t          top   = 0;
    histogram_copy(h, copy);
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        sum += copy->counter[i];
        top = copy->counter[i] ? i : top;
    }
    MUST(sum >= count && sum == copy->count && copy->sum >= before->sum);
    MUST(copy->count == 0 || copy->max >= histogram_lowest(top));
    MUST(copy->max_seq == 0 || value_of(copy->max_seq) == copy->max);
    for (uint32_t i = 0; i < 4000 / SLOWER; i++) { /* the newest ones are the ones that move */
        const uint64_t newest = histogram_epoch_newest(h), back = i % 16 == 0 ? i / 16 % 4 : 0;
        const uint64_t n = newest > back ? newest - back : 1;
        if (histogram_epoch_at(h, n, &e) == ERR_OK) {
            MUST(e.number == n && (e.max_seq == 0 || value_of(e.max_seq) == e.max));
            MUST(e.ended_ns == 0 || e.count == 1500);
            MUST(e.ended_ns == 0 || (e.max_seq > (n - 1) * 1500 && e.max_seq <= n * 1500));
        }
    }
    MUST(histogram_minus(copy, before) == ERR_OK);
    histogram_merge(before, copy);
}

static void race_read(race_t *r)
{
    histogram_copy_t *copy = malloc(sizeof *copy), *before = calloc(1, sizeof *before);
    MUST(copy && before);
    while (!atomic_load(&r->over)) {
        look(r->h, copy, before);
        atomic_fetch_add(&r->looked, 1);
    }
    look(r->h, copy, before);
    free(copy);
    free(before);
}

static void *race_reader(void *arg)
{
    race_read(arg);
    return NULL;
}

static uint64_t race_events(void)
{
    return (getenv("HWAL_QUICK") ? 200000 : getenv("HWAL_SOAK") ? 200000000 : 2000000) / SLOWER;
}

static void test_histogram_threads_read_while_written(void **state)
{
    (void)state;
    race_t    r = {.h = fresh(0), .events = race_events()};
    pthread_t writer, reader[2];
    assert_int_equal(pthread_create(&writer, NULL, race_write, &r), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&reader[i], NULL, race_reader, &r), 0);
    }
    pthread_join(writer, NULL);
    for (int i = 0; i < 2; i++) {
        pthread_join(reader[i], NULL);
    }
}

static void test_histogram_processes_read_a_read_only_mapping(void **state)
{
    (void)state;
    void   *map  = mmap(NULL, sizeof(histogram_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    race_t *r    = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int     exit = 0;
    assert_true(map != MAP_FAILED && r != MAP_FAILED);
    *r                = (race_t){.h = histogram_new(map, "ns", 0), .events = race_events()};
    const pid_t child = fork();
    if (child == 0) {
        MUST(mprotect(map, sizeof(histogram_t), PROT_READ) == 0);
        race_read(r);
        _exit(0);
    }
    race_write(r);
    assert_int_equal(waitpid(child, &exit, 0), child);
    assert_int_equal(exit, 0);
    munmap(map, sizeof(histogram_t));
    munmap(r, sizeof *r);
}

static void test_histogram_of_a_writer_that_died(void **state)
{
    (void)state;
    histogram_t      *h = fresh(0);
    histogram_epoch_t e;
    histogram_record(h, 5000000, 1);
    histogram_epoch(h, HISTOGRAM_EPOCH_NS);
    histogram_record(h, 7000001, 2);
    atomic_fetch_add(&h->life.lock, 1); /* as histogram_maximum leaves it in its middle: the old pair is still there */
    atomic_store(&h->life.max, 5000000);
    atomic_store(&h->life.max_seq, 1);
    atomic_fetch_add(&h->span[1].lock, 1);
    histogram_copy(h, &one);
    assert_true(one.count == 2 && one.max_seq == 0 && one.max >= 7000001 && one.max <= 7007001);
    assert_true(histogram_quantile(&one, 990000) == one.max);
    assert_int_equal(histogram_epoch_at(h, 2, &e), ERR_OK);
    assert_true(e.count == 1 && e.sum == 7000001 && e.max == 0 && e.max_seq == 0);
    assert_int_equal(histogram_epoch_at(h, 1, &e), ERR_NOT_FOUND); /* where it ends is in the odd line */
}

int main(void)
{
    seed                            = seeded_seed("test_histogram");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram_join_refuses_what_is_none),
        cmocka_unit_test(test_histogram_fresh_is_empty),
        cmocka_unit_test(test_histogram_is_its_model),
        cmocka_unit_test(test_histogram_quantiles_match_a_sorted_array),
        cmocka_unit_test(test_histogram_edges),
        cmocka_unit_test(test_histogram_minus_and_merge),
        cmocka_unit_test(test_histogram_merge_keeps_the_larger_event),
        cmocka_unit_test(test_histogram_threads_read_while_written),
        cmocka_unit_test(test_histogram_processes_read_a_read_only_mapping),
        cmocka_unit_test(test_histogram_of_a_writer_that_died),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
