#include "tests/lib/allocations.h"

#include <stdlib.h>

static volatile bool   counting;
static volatile size_t count;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);

void *malloc(size_t bytes)
{
    count += counting;
    return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
    count += counting;
    return __libc_calloc(n, bytes);
}

void *realloc(void *old, size_t bytes)
{
    count += counting;
    return __libc_realloc(old, bytes);
}

bool allocations_counted(void)
{
    return true;
}

#else

bool allocations_counted(void)
{
    return false;
}

#endif

void allocations_zero(void)
{
    count = 0;
}

void allocations_watch(bool on)
{
    counting = on;
}

size_t allocations_count(void)
{
    return count;
}
