/* The generator's reader of binary schemas. Invariants checked:
 *   - hwal.bfbs and evolved.bfbs are read, and their facts are those of the C structs
 *   - every truncation is an error with a sentence; mutated schemas are errors or can be written out as code
 * The reader and the writer are not in the library, so they are compiled in here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/types/msg.h"
#include "ipc/gen/bfbs.c"
#include "ipc/gen/emit.c"

static uint64_t seed;

static uint64_t rnd(void) /* splitmix64 */
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint8_t *load(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fail_msg("%s is not there: run from the project's root, after the build", path);
    }
    uint8_t *bytes = malloc(1 << 20);
    *len           = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

static void test_bfbs_reads_the_schema(void **state)
{
    (void)state;
    size_t        len;
    uint8_t      *bytes = load("build/gen/hwal.bfbs", &len);
    bfbs_schema_t schema;
    assert_int_equal(bfbs_read(bytes, len, &schema), ERR_OK);
    assert_string_equal(schema.ns, "hwal");
    assert_string_equal(schema.ident, "HWAL");
    assert_string_equal(schema.objects[schema.root].name, "Record");
    bool seen = false;
    for (uint32_t i = 0; i < schema.object_count; i++) {
        if (strcmp(schema.objects[i].name, "BookUpdate") == 0) {
            seen = true;
            assert_true(schema.objects[i].is_struct);
            assert_int_equal(schema.objects[i].bytes, sizeof(book_update_t));
            assert_string_equal(schema.objects[i].c_type, "book_update_t");
            assert_string_equal(schema.objects[i].fields[5].name, "ts_event_ns");
            assert_int_equal(schema.objects[i].fields[5].at, offsetof(book_update_t, ts_event_ns));
        }
    }
    assert_true(seen);
    bfbs_free(&schema);
    free(bytes);
}

static void test_bfbs_refuses_every_truncation(void **state)
{
    (void)state;
    size_t        len;
    uint8_t      *bytes = load("build/gen/evolved.bfbs", &len);
    bfbs_schema_t schema;
    for (size_t cut = 0; cut < len; cut += 1 + cut / 512) {
        uint8_t *part = malloc(cut == 0 ? 1 : cut);
        memcpy(part, bytes, cut);
        err_set(ERR_OK, "%s", "");
        assert_int_not_equal(bfbs_read(part, cut, &schema), ERR_OK);
        assert_true(err_msg()[0] != 0);
        bfbs_free(&schema);
        free(part);
    }
    free(bytes);
}

static void test_bfbs_mutations_are_refused_or_harmless(void **state)
{
    (void)state;
    size_t        len;
    uint8_t      *bytes = load("build/gen/evolved.bfbs", &len);
    uint8_t      *copy  = malloc(len);
    FILE         *sink  = fopen("/dev/null", "w");
    bfbs_schema_t schema;
    int           refused = 0;
    for (int round = 0; round < 4000; round++) {
        memcpy(copy, bytes, len);
        for (uint64_t i = 1 + rnd() % 8; i-- != 0;) {
            copy[rnd() % len] = (uint8_t)(rnd() % 2 == 0 ? rnd() : rnd() % 20);
        }
        if (bfbs_read(copy, len, &schema) == ERR_OK) {
            emit_header(sink, &schema);
            emit_source(sink, &schema);
        } else {
            refused++;
        }
        bfbs_free(&schema);
    }
    assert_true(refused > 1000);
    fclose(sink);
    free(copy);
    free(bytes);
}

int main(void)
{
    const char *given = getenv("HWAL_SEED");
    seed              = given != NULL ? strtoull(given, NULL, 0) : 0xbf5;
    printf("HWAL_SEED=%" PRIu64 "\n", seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bfbs_reads_the_schema),
        cmocka_unit_test(test_bfbs_refuses_every_truncation),
        cmocka_unit_test(test_bfbs_mutations_are_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
