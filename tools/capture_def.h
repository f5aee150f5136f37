/* capture_def: from capture files to the instruments in them: which market each file is of, which symbols, with which
 * scales. Shared by `hwal replay` and the capture adapter.
 *
 * An instrument is as configs/instruments.yaml lists it; one that nobody listed gets its scales from the digits as they
 * stand in the capture, its tick from the prices seen, its currency from the market's habit, and a note says so.
 * A market of the venue is a venue of its own for us: its link, session and sequence stand alone; its venue id is its
 * kind. Cold: allocates while it looks, gives everything back. */
#pragma once

#include "adapters/capture/capture.h"
#include "core/ref/instrument.h"
#include "tools/config.h"

#define CAPTURE_KINDS 4u /* instrument_kind_t, NONE included */
#define CAPTURE_INSTRUMENTS_MAX 64u

typedef void (*capture_note_t)(void *ctx, const char *text);

typedef struct capture_def {
    uint32_t     count;
    instrument_t ins[CAPTURE_INSTRUMENTS_MAX]; /* def.instrument_id: place in here, from 1 */
    uint8_t      file_kind[CAPTURE_FILES_MAX];
    uint32_t     file_instrument[CAPTURE_FILES_MAX]; /* whose file it is; 0 = more than one symbol in it */
} capture_def_t;

/* capture_market_name: "spot", "usdm", "coinm" by kind; "?" else. capture_market_kind: back; 0 = none of these. */
const char *capture_market_name(uint8_t kind);
uint8_t     capture_market_kind(const char *name);

/* capture_def_open: look at the beginning of each file.
 *   venue   name of the codec, as instruments are listed under it; listed: may be NULL
 *   market  forced kind, 0 = as it looks; note: told of each instrument that had to be inferred, may be NULL
 * Returns ERR_OK; what capture_probe_file returns; ERR_ARG (market against what the file shows); ERR_LIMIT; ERR_CONFIG. */
err_t capture_def_open(capture_def_t *def, const char *venue, const config_instruments_t *listed, char *const *files,
                       uint32_t count, uint8_t market, capture_note_t note, void *ctx);
