/* Counters and their catalogue. Invariants checked:
 *   - fresh ones are 0, an addition is seen by a concurrent reader and never runs backwards; a gauge goes both ways
 *   - the catalogue in the segment is the list: names differ, every text is there
 *   - of a shorter and of a longer build: known ones at their places, unknown ones by name and value through their rows
 *   - a join refuses a bad head and a count that does not fit, with a sentence; a damaged row is refused by itself */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "ipc/counters.h"
#include "tests/lib/seeded.h"

static _Alignas(128) uint8_t mem[2 * sizeof(counters_t)];

static counters_t *fresh(void)
{
    memset(mem, 0, sizeof mem);
    return counters_new(mem);
}

static void *watch(void *arg)
{
    const counters_t *c    = arg;
    uint64_t          last = 0;
    while (last < 300000) {
        const uint64_t now = counter_get(c, COUNTER_INPUTS);
        MUST(now >= last);
        last = now;
    }
    return NULL;
}

static void test_counters_count(void **state)
{
    (void)state;
    counters_t       *c = fresh();
    const counters_t *r = NULL;
    pthread_t         watcher;
    assert_int_equal(counters_footprint(), sizeof(counters_t));
    assert_int_equal(counters_join(mem, sizeof(counters_t), &r), ERR_OK);
    assert_int_equal(pthread_create(&watcher, NULL, watch, c), 0);
    for (int i = 0; i < 100000; i++) {
        counter_add(c, COUNTER_INPUTS, 3);
    }
    pthread_join(watcher, NULL);
    counter_set(c, COUNTER_HELD, 9);
    counter_set(c, COUNTER_HELD, 4);
    for (uint32_t i = 0; i < COUNTER_COUNT; i++) {
        assert_int_equal(counter_get(r, (counter_t)i), i == COUNTER_INPUTS ? 300000 : i == COUNTER_HELD ? 4 : 0);
    }
}

static void test_counters_are_named(void **state)
{
    (void)state;
    counters_t   *c = fresh();
    counter_row_t row, other;
    uint64_t      value = 7;
    counter_add(c, COUNTER_MD_LOST, 11);
    for (uint32_t i = 0; i < COUNTER_COUNT; i++) {
        assert_int_equal(counters_at(c, i, &row, &value), ERR_OK);
        assert_string_equal(row.name, counter_name((counter_t)i));
        assert_int_equal(value, i == COUNTER_MD_LOST ? 11 : 0);
        for (uint32_t j = 0; j < i; j++) {
            assert_int_equal(counters_at(c, j, &other, &value), ERR_OK);
            assert_string_not_equal(row.name, other.name);
        }
    }
    assert_int_equal(counters_at(c, COUNTER_COUNT, &row, &value), ERR_NOT_FOUND);
    assert_string_equal(counter_name(COUNTER_MD_MESSAGES), "md_messages");
    assert_int_equal(counters_at(c, COUNTER_HELD, &row, &value), ERR_OK);
    assert_int_equal(row.type, COUNTER_TYPE_GAUGE);
}

/* An object as a build with count counters writes it. */
static size_t of_build(uint32_t count)
{
    const size_t   rows_at = (128 + count * 8ul + 127) / 128 * 128;
    const uint64_t magic   = fresh()->magic;
    counter_row_t  row     = {.unit = "things", .help = "of another build", .type = COUNTER_TYPE_GAUGE};
    memset(mem, 0, sizeof mem);
    memcpy(mem, &magic, 8);
    memcpy(mem + 8, &count, 4);
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t value = 100 + i;
        memcpy(mem + 128 + 8 * i, &value, 8);
        snprintf(row.name, sizeof row.name, "thing_%u", (unsigned)i);
        memcpy(mem + rows_at + i * sizeof row, &row, sizeof row);
    }
    return rows_at + count * sizeof row;
}

static void test_counters_of_another_build(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 2, 16, COUNTER_COUNT - 1, COUNTER_COUNT + 1, COUNTER_COUNT + 5};
    for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
        const uint32_t    count = counts[k];
        const size_t      bytes = of_build(count);
        const counters_t *r     = NULL;
        counter_row_t     row;
        uint64_t          value;
        assert_true(bytes <= sizeof mem);
        assert_int_equal(counters_join(mem, bytes - 1 + (count == 0), &r), count == 0 ? ERR_OK : ERR_PARSE);
        assert_int_equal(counters_join(mem, bytes, &r), ERR_OK);
        for (uint32_t i = 0; i < COUNTER_COUNT; i++) {
            assert_int_equal(counter_get(r, (counter_t)i), i < count ? 100 + i : 0);
        }
        for (uint32_t i = 0; i < count; i++) {
            char name[32];
            snprintf(name, sizeof name, "thing_%u", i);
            assert_int_equal(counters_at(r, i, &row, &value), ERR_OK);
            assert_string_equal(row.name, name);
            assert_int_equal(value, 100 + i);
        }
        assert_int_equal(counters_at(r, count, &row, &value), ERR_NOT_FOUND);
    }
}

static void test_counters_join_refuses_what_is_none(void **state)
{
    (void)state;
    counters_t       *c = fresh();
    const counters_t *r = NULL;
    assert_int_equal(counters_join(mem, 127, &r), ERR_PARSE);
    assert_int_equal(counters_join(mem + 64, sizeof(counters_t), &r), ERR_PARSE);
    assert_int_equal(counters_join(NULL, sizeof(counters_t), &r), ERR_PARSE);
    c->count = UINT32_MAX;
    assert_int_equal(counters_join(mem, sizeof(counters_t), &r), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "count 4294967295"));
    c = fresh();
    c->magic ^= 4;
    assert_int_equal(counters_join(mem, sizeof(counters_t), &r), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "magic"));
    assert_null(r);
}

static void test_counters_refuse_a_damaged_row(void **state)
{
    (void)state;
    for (int damage = 0; damage < 9; damage++) {
        counters_t    *c = fresh();
        counter_row_t  row;
        uint64_t       value;
        counter_row_t *bad = &c->row[3];
        switch (damage) {
        case 0: bad->name[0] = '\0'; break;
        case 1: bad->name[1] = '"'; break;
        case 2: bad->name[0] = '7'; break;
        case 3: memset(bad->name, 'a', sizeof bad->name); break;
        case 4: bad->help[0] = '\n'; break;
        case 5: memset(bad->unit, 'a', sizeof bad->unit); break;
        case 6: bad->help[0] = '\0'; break;
        case 7: bad->unit[0] = '\0'; break;
        default: bad->type = 3; break;
        }
        assert_int_equal(counters_at(c, 3, &row, &value), ERR_PARSE);
        assert_non_null(strstr(err_msg(), "row 3"));
        assert_int_equal(counters_at(c, 4, &row, &value), ERR_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_count),
        cmocka_unit_test(test_counters_are_named),
        cmocka_unit_test(test_counters_of_another_build),
        cmocka_unit_test(test_counters_join_refuses_what_is_none),
        cmocka_unit_test(test_counters_refuse_a_damaged_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
