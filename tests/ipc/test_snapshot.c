/* A snapshot's file. Invariants checked:
 *   - any arena (empty, full, sparse, of a size that is no multiple of a page) comes back byte for byte, with its info
 *   - a half-written file (cut at any page and at random), any flipped bit, bytes behind the end: refused whole, the arena
 *     is all zeros again; a file of another kind or version is refused by name
 *   - a write that fails is an error (a full disk) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/snapshot.h"

#define PAGE 4096u

static uint64_t seed;

static uint64_t rnd(void) /* splitmix64 */
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static snapshot_info_t random_info(uint64_t arena_bytes)
{
    snapshot_info_t info;
    uint8_t        *at = (uint8_t *)&info;
    for (size_t i = 0; i < sizeof info; i++) {
        at[i] = (uint8_t)rnd();
    }
    info.arena_bytes = arena_bytes;
    return info;
}

/* An arena of so many bytes; each page is zeros, but one in `sparse`. */
static uint8_t *random_arena(uint64_t bytes, uint32_t sparse)
{
    uint8_t *arena = calloc(1, bytes + 1);
    for (uint64_t page = 0; sparse != 0 && page * PAGE < bytes; page++) {
        if (rnd() % sparse == 0) {
            const uint64_t left = bytes - page * PAGE;
            for (int i = 0; i < 10; i++) {
                arena[page * PAGE + rnd() % (left < PAGE ? left : PAGE)] = (uint8_t)(1 + rnd() % 255);
            }
        }
    }
    return arena;
}

static void test_snapshot_comes_back(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 100, 4095, 4096, 4097, 40960, 4096 * 1024, 4096 * 1025, 4096 * 3000 + 17};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (uint32_t sparse = 0; sparse < 4; sparse++) {
            const int             fd    = memfd_create("snapshot", 0);
            const snapshot_info_t info  = random_info(sizes[i]);
            uint8_t              *arena = random_arena(sizes[i], sparse);
            uint8_t              *back  = calloc(1, sizes[i]);
            snapshot_info_t       got;
            assert_int_equal(snapshot_write(fd, &info, arena), ERR_OK);
            assert_int_equal(snapshot_head(fd, &got), ERR_OK);
            assert_memory_equal(&got, &info, sizeof got);
            assert_int_equal(snapshot_load(fd, &info, back), ERR_OK);
            assert_memory_equal(back, arena, sizes[i]);
            if (sparse == 0) {
                assert_int_equal(lseek(fd, 0, SEEK_END), PAGE); /* zeros take no room */
            }
            got.sequence++; /* another one under the same name meanwhile */
            assert_int_equal(snapshot_load(fd, &got, back), ERR_STATE);
            free(arena);
            free(back);
            close(fd);
        }
    }
}

static void refused(int fd, uint64_t bytes)
{
    snapshot_info_t info;
    uint8_t        *arena = calloc(1, bytes);
    err_t           err   = snapshot_head(fd, &info);
    if (err == ERR_OK) {
        err = snapshot_load(fd, &info, arena);
    }
    assert_true(err == ERR_PARSE || err == ERR_UNSUPPORTED);
    for (uint64_t i = 0; i < bytes; i++) {
        assert_int_equal(arena[i], 0);
    }
    free(arena);
}

static void test_snapshot_damaged_is_refused_whole(void **state)
{
    (void)state;
    const uint64_t        bytes = 5 * PAGE + 100;
    const snapshot_info_t info  = random_info(bytes);
    uint8_t              *arena = random_arena(bytes, 2);
    const int             fd    = memfd_create("snapshot", 0);
    arena[0]                    = 1;
    assert_int_equal(snapshot_write(fd, &info, arena), ERR_OK);
    const uint64_t size  = (uint64_t)lseek(fd, 0, SEEK_END);
    uint8_t       *whole = malloc(size);
    assert_int_equal(pread(fd, whole, size, 0), size);
    uint8_t *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (uint64_t at = 0; at < size; at++) { /* one flip in each byte */
        const uint8_t bit = (uint8_t)(1u << rnd() % 8);
        map[at] ^= bit;
        refused(fd, bytes);
        map[at] ^= bit;
    }
    munmap(map, size);
    for (uint64_t cut = 0; cut < size; cut += cut % PAGE == 0   ? 1
                                              : cut % PAGE == 1 ? rnd() % (PAGE - 2) + 1
                                                                : PAGE - cut % PAGE) {
        assert_int_equal(ftruncate(fd, (off_t)cut), 0);
        refused(fd, bytes);
        assert_int_equal(pwrite(fd, whole, size, 0), size);
    }
    assert_int_equal(ftruncate(fd, (off_t)size + 1), 0); /* something behind it */
    refused(fd, bytes);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    uint8_t *back = calloc(1, bytes);
    assert_int_equal(snapshot_load(fd, &info, back), ERR_OK);
    free(back);
    free(whole);
    free(arena);
    close(fd);
}

static void test_snapshot_disk_full(void **state)
{
    (void)state;
    const snapshot_info_t info  = random_info(10 * PAGE);
    uint8_t              *arena = random_arena(10 * PAGE, 1);
    const int             fd    = open("/dev/full", O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(snapshot_write(fd, &info, arena), ERR_IO);
    assert_non_null(strstr(err_msg(), "No space left"));
    close(fd);
    free(arena);
}

int main(void)
{
    const char *given = getenv("HWAL_SEED");
    seed              = given != NULL ? strtoull(given, NULL, 0) : 20251121;
    printf("HWAL_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot_comes_back),
        cmocka_unit_test(test_snapshot_damaged_is_refused_whole),
        cmocka_unit_test(test_snapshot_disk_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
