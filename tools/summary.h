/* summary: what a person (text) or a program (one JSON object) reads after an offline run. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "adapters/venue.h"
#include "tools/offline.h"
#include "tools/oracle.h"

typedef struct summary_feed {
    const instrument_t *ins;
    const char         *market; /* spot, usdm, coinm; "generated" */
    feed_stats_t        stats;  /* zero but trades for a generated market */
    oracle_result_t     oracle;
    uint64_t            book_faults; /* of the engine's own book: crossed, off the tick grid */
} summary_feed_t;

typedef struct summary {
    const char     *command; /* replay, run */
    offline_t      *run;
    summary_feed_t *feeds;
    uint32_t        feed_count;
    bool            check; /* print the oracle */
    uint64_t        events;
    uint64_t        lines_bad; /* could not be read at all */
    uint64_t        bytes;     /* of text read; 0 = none */
    double          seconds_wall;
    double          seconds_market;
    double          ns_per_tsc;
    json_t         *errors; /* array of sentences */
    json_t         *notes;  /* array of sentences */
} summary_t;

/* summary_json: a new reference; the caller dumps it. summary_text: to a stream, colours when wanted. */
json_t *summary_json(const summary_t *summary);
void    summary_text(const summary_t *summary, FILE *to, bool colour);
