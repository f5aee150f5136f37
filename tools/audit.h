/* audit: who changed what of a life's limits, controls and alerts, read back from the journal, where every AUDIT lies
 * behind the input that caused it and every block is chained by SHA-256.
 *
 * Export   JSON, a line each, that stands alone: "prev" is the "hash" of the line before (of the first: 64 zeros), "hash" the
 *          SHA-256 of the line's own bytes up to it. A line that is changed, lost, doubled or moved breaks the chain. */
#pragma once

#include <jansson.h>

#include "core/types/err.h"
#include "core/types/msg.h"

typedef struct audit_entry {
    audit_t     audit;
    const char *reason; /* of the input that caused it, "" where it had none; good during the call */
} audit_entry_t;

/* audit_walk: every AUDIT of the journal in dir, in order; each returning anything but ERR_OK ends it with that. ERR_OK;
 * ERR_NOT_FOUND: no journal; else a sentence. */
typedef err_t (*audit_each_t)(void *ctx, const audit_entry_t *entry);
err_t audit_walk(const char *dir, audit_each_t each, void *ctx);

/* audit_json: one entry as an object (a new reference): names for kinds, scopes, fields, users. audit_user: a uid as its
 * login name, else as a number. audit_kind_str: "LIMIT", never NULL. audit_refusal: why a REFUSED one was. */
json_t     *audit_json(const audit_entry_t *entry);
const char *audit_user(uint32_t user_id, char out[64]);
const char *audit_kind_str(uint8_t kind);
const char *audit_refusal(const audit_t *refused);
