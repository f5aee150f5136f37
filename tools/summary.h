/* summary: what a person (text) or a program (one JSON object) reads after an offline run. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "adapters/venue.h"
#include "core/analytics/quality.h"
#include "tools/offline.h"
#include "tools/oracle.h"
#include "tools/replay_bars.h"

typedef struct summary_feed {
    const instrument_t *ins;
    const char         *market; /* spot, usdm, coinm; "generated" */
    feed_stats_t        stats;  /* zero but trades for a generated market */
    oracle_result_t     oracle;
    uint64_t            book_faults; /* of the engine's own book: crossed, off the tick grid */
    quality_tape_t      tape;        /* its trades, by the rules of quality */
    const bar_series_t *bars;        /* of its trades; NULL = not asked for */
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

/* summary_quality: {WHAT: total, "bad": those that broke a rule, "findings": {rule: count}}; what: "trades", "bars". A new
 * reference. summary_quality_text: the same as a line behind an indent; nothing when quality is NULL. */
json_t *summary_quality(uint64_t total, const char *what, uint64_t bad, const uint64_t findings[QUALITY_RULES]);
void    summary_quality_text(FILE *to, const char *indent, const json_t *quality);
