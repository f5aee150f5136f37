#include "ipc/counters.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define COUNTERS_MAGIC 0x32746e436c617768ull /* "hwalCnt2" */

static const counter_row_t rows[COUNTER_COUNT] = {
#define X(upper, lower, kind, units, text) {.name = #lower, .unit = units, .help = text, .type = COUNTER_TYPE_##kind},
    COUNTER_LIST(X)
#undef X
};

#define X(upper, lower, kind, units, text)                                                                             \
    _Static_assert(sizeof #lower <= sizeof(rows[0].name) && sizeof units <= sizeof(rows[0].unit) &&                    \
                       sizeof text <= sizeof(rows[0].help),                                                            \
                   #lower ": its texts must end within the row");
COUNTER_LIST(X)
#undef X

size_t counters_footprint(void)
{
    return sizeof(counters_t);
}

counters_t *counters_new(void *mem)
{
    assert((uintptr_t)mem % 128 == 0);
    counters_t *c = mem;
    c->count      = COUNTER_COUNT;
    memcpy(c->row, rows, sizeof rows);
    __atomic_store_n(&c->magic, COUNTERS_MAGIC, __ATOMIC_RELEASE);
    return c;
}

/* Where the rows begin when there are count values. */
static size_t rows_at(uint32_t count)
{
    return (offsetof(counters_t, value) + (size_t)count * sizeof(uint64_t) + 127) & ~(size_t)127;
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
    const size_t need = rows_at(c->count) + (size_t)c->count * sizeof(counter_row_t);
    if (need > bytes) {
        return err_set(ERR_PARSE, "counters: count %u with its catalogue is %zu bytes, there are %zu", c->count, need,
                       bytes);
    }
    *out = c;
    return ERR_OK;
}

static bool text_ok(const char *text, size_t cap)
{
    const size_t len = strnlen(text, cap);
    for (size_t i = 0; i < len; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return false;
        }
    }
    return len > 0 && len < cap;
}

static bool name_ok(const char *name, size_t cap)
{
    return text_ok(name, cap) && *name >= 'a' && *name <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

err_t counters_at(const counters_t *c, uint32_t i, counter_row_t *row, uint64_t *value)
{
    const uint32_t count = c->count;
    if (i >= count) {
        return ERR_NOT_FOUND;
    }
    memcpy(row, (const uint8_t *)c + rows_at(count) + i * sizeof *row, sizeof *row);
    if (!name_ok(row->name, sizeof row->name) || !text_ok(row->unit, sizeof row->unit) ||
        !text_ok(row->help, sizeof row->help) || (row->type != COUNTER_TYPE_TOTAL && row->type != COUNTER_TYPE_GAUGE)) {
        return err_set(ERR_PARSE, "counters: the catalogue's row %u of %u is damaged", i, count);
    }
    *value = atomic_load_explicit((const _Atomic uint64_t *)(const void *)((const uint8_t *)c + 128 + i * 8ull),
                                  memory_order_relaxed);
    return ERR_OK;
}

const char *counter_name(counter_t counter)
{
    assert((unsigned)counter < COUNTER_COUNT);
    return rows[counter].name;
}
