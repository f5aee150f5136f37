/* emit: a checked schema as C: <namespace>_fbs.h and <namespace>_fbs.c. What the generated code offers stands on top of
 * the generated header. Neither function fails; the caller asks ferror once at the end. */
#pragma once

#include <stdio.h>

#include "ipc/gen/bfbs.h"

void emit_header(FILE *f, const bfbs_schema_t *schema);
void emit_source(FILE *f, const bfbs_schema_t *schema);
