#include "ipc/histogram.h"

#include <assert.h>
#include <string.h>

#include "core/types/num.h"
#include "ipc/words_copy.h"

#define HISTOGRAM_MAGIC 0x3174736948617768ull /* "hwaHist1" */
#define SPAN_TRIES 1000                       /* of a reader: a lock that stays odd is a dead writer's */

size_t histogram_footprint(void)
{
    return sizeof(histogram_t);
}

/* ---- writer ---------------------------------------------------------------------------------------------------------- */
static void put(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}
static uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void span_lock(histogram_span_t *s)
{
    put(&s->lock, get(&s->lock) + 1);
    words_fence_release(); /* who sees a word of the new content finds the lock odd when it looks again */
}
static void span_unlock(histogram_span_t *s)
{
    atomic_store_explicit(&s->lock, get(&s->lock) + 1, memory_order_release);
}

static void span_begin(histogram_span_t *s, uint64_t number, int64_t mono_ns, uint64_t count, uint64_t sum)
{
    span_lock(s);
    put(&s->number, number);
    atomic_store_explicit(&s->began_ns, mono_ns, memory_order_relaxed);
    put(&s->count, count);
    put(&s->sum, sum);
    put(&s->max, 0);
    put(&s->max_seq, 0);
    span_unlock(s);
}

static void span_maximum(histogram_span_t *s, uint64_t value, uint64_t seq)
{
    span_lock(s);
    put(&s->max, value);
    put(&s->max_seq, seq);
    span_unlock(s);
}

static histogram_span_t *span_of(histogram_t *h, uint64_t number)
{
    return &h->span[(number - 1) % HISTOGRAM_EPOCHS];
}

histogram_t *histogram_new(void *mem, const char *unit, int64_t mono_ns)
{
    assert((uintptr_t)mem % 128 == 0);
    histogram_t *h   = mem;
    const size_t len = strnlen(unit, HISTOGRAM_UNIT_BYTES);
    if (len == 0 || len == HISTOGRAM_UNIT_BYTES) {
        err_set(ERR_ARG, "histogram: unit of %zu bytes, limits 1 to %d", len, HISTOGRAM_UNIT_BYTES - 1);
        return NULL;
    }
    memcpy(h->unit, unit, len);
    h->counters = HISTOGRAM_COUNTERS;
    h->epochs   = HISTOGRAM_EPOCHS;
    span_begin(&h->life, 0, mono_ns, 0, 0);
    span_begin(span_of(h, 1), 1, mono_ns, 0, 0);
    put(&h->epoch, 1);
    __atomic_store_n(&h->magic, HISTOGRAM_MAGIC, __ATOMIC_RELEASE);
    return h;
}

void histogram_maximum(histogram_t *h, uint64_t value, uint64_t seq)
{
    histogram_span_t *s = span_of(h, get(&h->epoch));
    if (value > get(&s->max) || h->bar == 0) { /* not: 2^64 - 1 again, above which there is no bar */
        span_maximum(s, value, seq);
    }
    if (value > get(&h->life.max) || get(&h->count) == 0) {
        span_maximum(&h->life, value, seq);
    }
    h->bar = value + (value != UINT64_MAX);
}

void histogram_epoch(histogram_t *h, int64_t mono_ns)
{
    const uint64_t number = get(&h->epoch);
    const int64_t  began  = atomic_load_explicit(&span_of(h, number)->began_ns, memory_order_relaxed);
    if (mono_ns - began < HISTOGRAM_EPOCH_NS) {
        return;
    }
    span_begin(span_of(h, number + 1), number + 1, mono_ns, get(&h->count), get(&h->sum));
    h->bar = 0;
    atomic_store_explicit(&h->epoch, number + 1, memory_order_release);
}

/* ---- joining --------------------------------------------------------------------------------------------------------- */
err_t histogram_join(const void *mem, size_t bytes, const histogram_t **out)
{
    if (mem == NULL || (uintptr_t)mem % 128 != 0 || bytes < sizeof(histogram_t)) {
        return err_set(ERR_PARSE, "histogram: %zu bytes at %p, must be %zu, aligned to 128", bytes, mem,
                       sizeof(histogram_t));
    }
    const histogram_t *h = mem;
    /* acquire: pairs with the release in histogram_new */
    const uint64_t magic = __atomic_load_n(&h->magic, __ATOMIC_ACQUIRE);
    if (magic != HISTOGRAM_MAGIC) {
        return err_set(ERR_PARSE, "histogram: magic %016llx, must be %016llx", (unsigned long long)magic,
                       (unsigned long long)HISTOGRAM_MAGIC);
    }
    if (h->counters != HISTOGRAM_COUNTERS || h->epochs != HISTOGRAM_EPOCHS) {
        return err_set(ERR_PARSE, "histogram: %u counters and %u epochs, must be %d and %d", h->counters, h->epochs,
                       HISTOGRAM_COUNTERS, HISTOGRAM_EPOCHS);
    }
    if (h->unit[0] == '\0' || memchr(h->unit, 0, sizeof h->unit) == NULL) {
        return err_set(ERR_PARSE, "histogram: its unit has no end within %d bytes, or is empty", HISTOGRAM_UNIT_BYTES);
    }
    *out = h;
    return ERR_OK;
}

err_t histogram_writer_join(void *mem, size_t bytes, histogram_t **out)
{
    const histogram_t *h   = NULL;
    const err_t        err = histogram_join(mem, bytes, &h);
    if (err == ERR_OK) {
        *out = mem;
    }
    return err;
}

/* ---- readers --------------------------------------------------------------------------------------------------------- */
/* span_read: all words of one moment; false when the writer died in it, or is faster than we are. */
static bool span_read(const histogram_span_t *s, histogram_epoch_t *out)
{
    for (int i = 0; i < SPAN_TRIES; i++) {
        const uint64_t lock = atomic_load_explicit(&s->lock, memory_order_acquire); /* pairs with span_unlock */
        *out                = (histogram_epoch_t){.number   = get(&s->number),
                                                  .began_ns = atomic_load_explicit(&s->began_ns, memory_order_relaxed),
                                                  .count    = get(&s->count),
                                                  .sum      = get(&s->sum),
                                                  .max      = get(&s->max),
                                                  .max_seq  = get(&s->max_seq)};
        words_fence_acquire();
        if (lock % 2 == 0 && get(&s->lock) == lock) {
            return true;
        }
    }
    return false;
}

/* The bound of the counters, when nobody knows the maximum itself. */
static uint64_t bound_of(const histogram_copy_t *copy)
{
    for (uint32_t i = HISTOGRAM_COUNTERS; i-- > 0;) {
        if (copy->counter[i] != 0) {
            return histogram_highest(i);
        }
    }
    return 0;
}

void histogram_copy(const histogram_t *h, histogram_copy_t *out)
{
    histogram_epoch_t life;
    out->sum   = get(&h->sum);
    out->count = 0;
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        out->counter[i] = atomic_load_explicit(&h->counter[i], memory_order_acquire); /* pairs with record's release */
        out->count += out->counter[i];
    }
    if (span_read(&h->life, &life)) {
        out->max     = life.max;
        out->max_seq = life.max_seq;
    } else {
        out->max     = bound_of(out);
        out->max_seq = 0;
    }
}

uint64_t histogram_epoch_newest(const histogram_t *h)
{
    return atomic_load_explicit(&h->epoch, memory_order_acquire); /* pairs with the release in histogram_epoch */
}

err_t histogram_epoch_at(const histogram_t *h, uint64_t number, histogram_epoch_t *out)
{
    histogram_epoch_t now, next;
    const uint64_t    newest = histogram_epoch_newest(h);
    if (number == 0 || number > newest || newest - number >= HISTOGRAM_EPOCHS) {
        return ERR_NOT_FOUND;
    }
    const histogram_span_t *s = &h->span[(number - 1) % HISTOGRAM_EPOCHS];
    if (!span_read(s, &now)) { /* its maximum is not to be had; the rest was written long ago */
        now = (histogram_epoch_t){.number   = get(&s->number),
                                  .began_ns = atomic_load_explicit(&s->began_ns, memory_order_relaxed),
                                  .count    = get(&s->count),
                                  .sum      = get(&s->sum)};
    }
    if (now.number != number) {
        return ERR_NOT_FOUND;
    }
    if (number < newest) {
        if (!span_read(&h->span[number % HISTOGRAM_EPOCHS], &next) || next.number != number + 1) {
            return ERR_NOT_FOUND; /* overwritten while we looked */
        }
        now.ended_ns = next.began_ns;
    } else {
        next.count = histogram_count(h);
        next.sum   = get(&h->sum);
    }
    now.count = next.count - now.count;
    now.sum   = next.sum - now.sum;
    *out      = now;
    return ERR_OK;
}

err_t histogram_minus(histogram_copy_t *later, const histogram_copy_t *earlier)
{
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        if (later->counter[i] < earlier->counter[i]) {
            return err_set(ERR_STATE, "histogram: counter %u fell from %llu to %llu: not an earlier copy of the same",
                           i, (unsigned long long)earlier->counter[i], (unsigned long long)later->counter[i]);
        }
    }
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        later->counter[i] -= earlier->counter[i];
    }
    later->count -= earlier->count;
    later->sum -= earlier->sum;
    if (later->max <= earlier->max && earlier->count != 0) { /* the largest value of all is an older one */
        const uint64_t bound = bound_of(later);
        later->max           = bound < later->max ? bound : later->max;
        later->max_seq       = 0;
    }
    return ERR_OK;
}

void histogram_merge(histogram_copy_t *into, const histogram_copy_t *other)
{
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        into->counter[i] += other->counter[i];
    }
    if (other->count != 0 && (into->count == 0 || other->max > into->max)) {
        into->max     = other->max;
        into->max_seq = other->max_seq;
    }
    into->count += other->count;
    into->sum += other->sum;
}

uint64_t histogram_lowest(uint32_t index)
{
    assert(index < HISTOGRAM_COUNTERS);
    return index < 2048 ? index : (1024ull + (index - 2048u) % 1024u) << (1u + (index - 2048u) / 1024u);
}

uint64_t histogram_highest(uint32_t index)
{
    return index + 1 == HISTOGRAM_COUNTERS ? UINT64_MAX : histogram_lowest(index + 1) - 1;
}

uint64_t histogram_quantile(const histogram_copy_t *copy, uint32_t millionths)
{
    if (copy->count == 0) {
        return 0;
    }
    uint64_t rank = (uint64_t)(((u128_t)copy->count * millionths + 999999) / 1000000);
    rank          = rank ? rank : 1;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        seen += copy->counter[i];
        if (seen >= rank) {
            const uint64_t value = histogram_highest(i);
            return value > copy->max ? copy->max : value;
        }
    }
    return copy->max;
}
