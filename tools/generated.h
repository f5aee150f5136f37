/* generated: `hwal replay --generate`, the generated market offline: seeded order flow over several instruments, with
 * exact matching, engine and venue in one process, as fast as the machine goes. The same seed gives the same hashes, on
 * every build: what a live instance does with clocks and processes is done here without them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct generated_options {
    const char  *config_file; /* NULL: configs/demo.yaml */
    char *const *strategies;  /* specs; none: those of the configuration, else both samples */
    uint32_t     strategy_count;
    int64_t      seconds, rate, seed; /* -1: as configured */
    bool         json, quiet;
} generated_options_t;

/* generated_replay: run, print the summary; an exit code. */
int generated_replay(const generated_options_t *options);
