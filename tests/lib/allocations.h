/* allocations: counts calls of malloc, calloc and realloc while it is told to watch, by standing in for them. A test program
 * that uses it gets the stand-ins with it; under AddressSanitizer and ThreadSanitizer, which stand there themselves,
 * allocations_counted() is false and nothing is counted. One thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

bool   allocations_counted(void);
void   allocations_zero(void);
void   allocations_watch(bool on);
size_t allocations_count(void);
