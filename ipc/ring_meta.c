#include "ipc/ring_meta.h"

#include <assert.h>
#include <sys/random.h>

static err_t check_sizes(const ring_kind_t *kind, uint32_t slots, uint32_t stride, err_t err)
{
    const bool power = (slots & (slots - 1)) == 0;
    if (slots < kind->slots_min || slots > kind->slots_max || (kind->power_of_two && !power)) {
        return err_set(err, "%s: slots %u, must be %sin %u..%u", kind->what, slots,
                       kind->power_of_two ? "a power of two " : "", kind->slots_min, kind->slots_max);
    }
    if (stride == 0 || stride % 64 != 0 || stride > RING_STRIDE_MAX) {
        return err_set(err, "%s: stride %u, must be a multiple of 64 in 64..%u", kind->what, stride, RING_STRIDE_MAX);
    }
    return ERR_OK;
}

static size_t bytes_of(const ring_kind_t *kind, uint32_t slots, uint32_t stride)
{
    return kind->head_bytes + (size_t)slots * stride;
}

size_t ring_head_footprint(const ring_kind_t *kind, uint32_t slots, uint32_t stride)
{
    return check_sizes(kind, slots, stride, ERR_ARG) == ERR_OK ? bytes_of(kind, slots, stride) : 0;
}

void *ring_head_format(const ring_kind_t *kind, void *mem, uint32_t slots, uint32_t stride)
{
    assert((uintptr_t)mem % 128 == 0);
    if (check_sizes(kind, slots, stride, ERR_ARG) != ERR_OK) {
        return NULL;
    }
    ring_head_t *head = mem;
    head->slots       = slots;
    head->stride      = stride;
    while (head->id == 0) {
        if (getrandom(&head->id, sizeof head->id, 0) < 0) {
            head->id = (uintptr_t)mem ^ __builtin_ia32_rdtsc();
        }
    }
    __atomic_store_n(&head->magic, kind->magic, __ATOMIC_RELEASE);
    return mem;
}

err_t ring_head_check(const ring_kind_t *kind, const void *mem, size_t bytes, uint32_t *slots, uint32_t *stride)
{
    if (mem == NULL || (uintptr_t)mem % 128 != 0 || bytes < kind->head_bytes) {
        return err_set(ERR_PARSE, "%s: %zu bytes at %p, its head is %u, aligned to 128", kind->what, bytes, mem,
                       kind->head_bytes);
    }
    const ring_head_t *head = mem;
    /* acquire: pairs with the release in ring_head_format; slots and stride are there when the magic is */
    const uint64_t magic = __atomic_load_n(&head->magic, __ATOMIC_ACQUIRE);
    if (magic != kind->magic) {
        return err_set(ERR_PARSE, "%s: magic %016llx, must be %016llx", kind->what, (unsigned long long)magic,
                       (unsigned long long)kind->magic);
    }
    const uint32_t slots_now  = __atomic_load_n(&head->slots, __ATOMIC_RELAXED);
    const uint32_t stride_now = __atomic_load_n(&head->stride, __ATOMIC_RELAXED);
    const err_t    err        = check_sizes(kind, slots_now, stride_now, ERR_PARSE);
    if (err != ERR_OK) {
        return err;
    }
    if (bytes_of(kind, slots_now, stride_now) > bytes) {
        return err_set(ERR_PARSE, "%s: slots %u of stride %u take %zu bytes, its room is %zu", kind->what, slots_now,
                       stride_now, bytes_of(kind, slots_now, stride_now), bytes);
    }
    *slots  = slots_now;
    *stride = stride_now;
    return ERR_OK;
}
