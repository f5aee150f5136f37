/* sizes: what a configuration takes of memory, before anything runs: of the whole, and of one more instrument, order,
 * account. Everything is what engine_footprint and topology_bytes answer for the configured sizes; what one more costs is
 * the difference to half as many, by their number: tables double, so it is a mean.
 *
 *   arena    the engine's own memory, once in the engine role: reserved at start, in memory as far as it is used (an
 *            instrument's book when it is defined)
 *   shared   segments of all roles; records of instruments, orders, positions, accounts lie there */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "core/types/err.h"
#include "ipc/settings.h"

typedef struct sizes_of { /* of one more of a kind, bytes */
    uint64_t arena;
    uint64_t shared;
} sizes_of_t;

typedef struct sizes {
    uint64_t   arena, shared;
    uint64_t   book; /* of an instrument's bytes in the arena */
    sizes_of_t instrument, order, account;
} sizes_t;

/* sizes_of: of a live instance with this configuration. ERR_CONFIG or ERR_ARG with a sentence when it cannot be one. Some
 * milliseconds. */
err_t sizes_of(const config_t *config, sizes_t *out);

/* sizes_print: one line. sizes_json: the same, all in bytes. */
void    sizes_print(const sizes_t *sizes, FILE *to);
json_t *sizes_json(const sizes_t *sizes);
