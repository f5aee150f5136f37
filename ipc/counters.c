#include "ipc/counters.h"

#include <assert.h>

#define COUNTERS_MAGIC 0x31746e436c617768ull /* "hwalCnt1" */

static const counter_info_t infos[COUNTER_COUNT] = {
#define X(name, lower, unit, help) {#lower, unit, help},
    COUNTER_LIST(X)
#undef X
};

size_t counters_footprint(void)
{
    return sizeof(counters_t);
}

counters_t *counters_new(void *mem)
{
    assert((uintptr_t)mem % 128 == 0);
    counters_t *c = mem;
    c->count      = COUNTER_COUNT;
    __atomic_store_n(&c->magic, COUNTERS_MAGIC, __ATOMIC_RELEASE);
    return c;
}

err_t counters_join(const void *mem, size_t bytes, const counters_t **out)
{
    const size_t head = offsetof(counters_t, value);
    if (mem == NULL || (uintptr_t)mem % 128 != 0 || bytes < head) {
        return err_set(ERR_PARSE, "counters: %zu bytes at %p, the head is %zu, aligned to 128", bytes, mem, head);
    }
    const counters_t *c = mem;
    /* acquire: pairs with the release in counters_new */
    const uint64_t magic = __atomic_load_n(&c->magic, __ATOMIC_ACQUIRE);
    if (magic != COUNTERS_MAGIC) {
        return err_set(ERR_PARSE, "counters: magic %016llx, must be %016llx", (unsigned long long)magic,
                       (unsigned long long)COUNTERS_MAGIC);
    }
    if (c->count > (bytes - head) / sizeof(c->value[0])) {
        return err_set(ERR_PARSE, "counters: count %u, room for %zu", c->count, (bytes - head) / sizeof(c->value[0]));
    }
    *out = c;
    return ERR_OK;
}

const counter_info_t *counter_info(counter_t counter)
{
    assert((unsigned)counter < COUNTER_COUNT);
    return &infos[counter];
}
