/* models: from configuration to the models of the simulated venue: latency of each leg, place in the queue, fees; and what a
 * report says of them.
 *
 *   latency.place: "200us"                          constant: a decimal and ns, us, ms or s
 *   latency.place: "histogram FILE ROLE.NAME [S]"   drawn from what was measured: FILE is what `hwal lat --json --buckets
 *                                                   N` wrote, ROLE.NAME one of its rows ("engine.decide"), S a decimal that
 *                                                   each latency is multiplied by (0.001 .. 1000)
 *   latency.place: ""                               the constant of venue.place_us, cancel_us, report_us; feed: none
 *
 * Owner    the caller; models_delay_free gives tables back. Cold: allocates. A file has no blanks in its name and at most
 *          MODELS_FILE_BYTES_MAX. Bad files: ERR_NOT_FOUND, ERR_PARSE, ERR_CONFIG with a sentence that names them. */
#pragma once

#include <jansson.h>

#include "core/match/delay.h"
#include "ipc/settings.h"

#define MODELS_TEXT_MAX 320
#define MODELS_FILE_BYTES_MAX (16 << 20)
#define MODELS_LEG_HELP "a decimal with ns, us, ms or s, or \"histogram FILE ROLE.NAME [SCALE]\""

typedef struct models_leg {
    int64_t constant_ns; /* where file is "" */
    int64_t scale_e6;
    char    file[MODELS_TEXT_MAX];
    char    row[64]; /* ROLE.NAME */
} models_leg_t;

typedef struct models_delay {
    delay_cfg_t cfg; /* for delay_new */
    latency_t  *tables[DELAY_LEGS];
} models_delay_t;

/* models_leg_parse: the text of one leg, not "". ERR_CONFIG with a sentence. */
err_t models_leg_parse(const char *text, models_leg_t *out);

/* models_delay: what delay_new needs, tables read from their files; depth messages a leg, feed_depth of market data when
 * there is a feed latency (else none). On failure a sentence, and nothing to free. */
err_t models_delay(const config_t *config, uint32_t depth, uint32_t feed_depth, models_delay_t *out);
void  models_delay_free(models_delay_t *models);

/* models_json: {queue, trades_take, latency {place ...}, fees {...}} as they are in force; a new reference.
 * models_text: the same as one line; out holds cap bytes. */
json_t *models_json(const config_t *config);
void    models_text(const config_t *config, char *out, size_t cap);
