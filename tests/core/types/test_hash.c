/* Invariants of hash_words, by which outputs are compared between builds and with a replay
 *   1. It is the same number from every compiler: fixed ones are written here.
 *   2. Any bit of the words, of the hash so far, and the number of words change it; so do two words, or two pairs, that
 *      change places.
 *   3. No two of 100,000 records that differ in one small field have the same hash, and where they lie does not matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/types/hash.h"

#define WORDS 9u

static const uint64_t record[WORDS] = {1, 2, 3, 0, 0, UINT64_MAX, 0x0123456789abcdef, 1u << 31, 42};

static void test_hash_words_is_fixed(void **state)
{
    (void)state;
    assert_true(hash_words(0, record, WORDS) == 0x0099aba628b497c4);
    assert_true(hash_words(7, record, 8) == 0x338bc13af75868f5);
    assert_true(hash_words(0, record, 0) == 0);
}

static void test_hash_words_sees_every_bit(void **state)
{
    (void)state;
    const uint64_t is = hash_words(5, record, WORDS);
    for (uint32_t bit = 0; bit < WORDS * 64; bit++) {
        uint64_t other[WORDS];
        memcpy(other, record, sizeof other);
        other[bit / 64] ^= UINT64_C(1) << bit % 64;
        assert_true(hash_words(5, other, WORDS) != is);
    }
    for (uint32_t bit = 0; bit < 64; bit++) {
        assert_true(hash_words(5 ^ UINT64_C(1) << bit, record, WORDS) != is);
    }
    for (uint32_t i = 0; i < WORDS; i++) {
        for (uint32_t k = i + 1; k < WORDS; k++) {
            uint64_t other[WORDS];
            memcpy(other, record, sizeof other);
            other[i] = record[k];
            other[k] = record[i];
            assert_true(record[i] == record[k] || hash_words(5, other, WORDS) != is);
        }
    }
    const uint64_t padded[WORDS + 1] = {1, 2, 3, 0, 0, UINT64_MAX, 0x0123456789abcdef, 1u << 31, 42, 0};
    assert_true(hash_words(5, padded, WORDS + 1) != is);
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void test_hash_words_of_many_are_all_different(void **state)
{
    (void)state;
    const uint32_t many = 100000;
    uint64_t      *all  = calloc(many, sizeof *all);
    assert_non_null(all);
    for (uint32_t i = 0; i < many; i++) {
        unsigned char at[sizeof record + 3];
        memcpy(at + 3, record, sizeof record);
        memcpy(at + 3 + sizeof(uint64_t) * (i % WORDS), &i, sizeof i);
        uint64_t aligned[WORDS];
        memcpy(aligned, at + 3, sizeof aligned);
        all[i] = hash_words(1, at + 3, WORDS);
        assert_true(all[i] == hash_words(1, aligned, WORDS));
    }
    qsort(all, many, sizeof *all, by_number);
    for (uint32_t i = 1; i < many; i++) {
        assert_true(all[i] != all[i - 1]);
    }
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_words_is_fixed),
        cmocka_unit_test(test_hash_words_sees_every_bit),
        cmocka_unit_test(test_hash_words_of_many_are_all_different),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
