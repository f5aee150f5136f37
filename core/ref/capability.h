/* capability: which order types, times in force and features a venue has, and which the engine does for it.
 *
 *   VENUE_DEF ─▶ capability_check ─▶ kept by the engine ─▶ capability_native: may this order go out as it is?
 *                                                         no: the engine holds it and sends what it turns into
 *
 * Rule      What leaves has a limit price: a market order leaves as a limit at the collar, and types that turn into one
 *           are watched by the engine wherever. So the types that can be native are LIMIT, STOP_LIMIT and LIMIT_IF_TOUCHED.
 *           Lists and algorithms are the engine's own everywhere.
 * Table     capability_row names each thing and says who does it; it is generated from capability_native itself, so what
 *           is printed is what happens.
 *
 * Memory    none. Threads: any; pure functions. Source: FIX 4.4 OrdType (40), TimeInForce (59), ContingencyType (1385). */
#pragma once

#include <stdbool.h>

#include "core/types/err.h"
#include "core/types/msg.h"

typedef enum capability_how {
    CAPABILITY_NONE = 0, /* not to be had there: a request is denied (127) */
    CAPABILITY_NATIVE,   /* the venue                                      */
    CAPABILITY_ENGINE    /* the engine, before or instead of it            */
} capability_how_t;

typedef struct capability_row {
    const char      *group; /* "type", "tif", "feature", "list", "algo" */
    const char      *name;  /* FIX word, upper case: "STOP_LIMIT" */
    capability_how_t how;
    const char      *note; /* a few words on how the engine does it; "" when native */
} capability_row_t;

/* capability_default: what is taken for granted of a venue that has said nothing: LIMIT; DAY, GTC, IOC, FOK; replace,
 * post-only, reduce-only. venue_id 0. */
extern const venue_def_t capability_default;

/* capability_check: is this a definition that orders can be sent by? ERR_ARG and a sentence when it names bits that are
 * none, lacks LIMIT, or has neither DAY nor GTC. */
err_t capability_check(const venue_def_t *def);

/* capability_tif: does the venue know this time in force? capability_offers: all of these VENUE_*? def NULL = the default. */
bool capability_tif(const venue_def_t *def, tif_t tif);
bool capability_offers(const venue_def_t *def, uint32_t features);

/* capability_native: may this NEW go to the venue as it is, with its terms? def NULL = the default. */
bool capability_native(const venue_def_t *def, const order_terms_req_t *req);

/* capability_row: line i of the table of a venue (def NULL = the default); false beyond the last. */
bool capability_row(const venue_def_t *def, uint32_t i, capability_row_t *out);

const char *capability_how_str(capability_how_t how); /* "native", "engine", "-" */
