/* yaml_load: one YAML file into a struct by a libcyaml schema, and the line of everything in it.
 *
 * libcyaml fills the struct, but it knows no line of a key, and it takes in silence what a configuration must not have
 * (an empty file, a second document, anchors, bytes after a NUL). So the file's events (libyaml) are first walked along
 * the same schema; whatever is wrong is one sentence "FILE line N: section.key ...", and the places are kept for
 * sentences about values that only the caller can judge.
 *
 * Shape    a mapping of texts, mappings of texts, lists of texts and lists of mappings; such an entry may have lists of
 *          texts of its own, and a list may lie in a section. Every value is read as text (CYAML_STRING): what a number
 *          is, the caller says.
 * Owner    the caller; yaml_places_free gives the places back, cyaml_free with yaml_cfg the struct. Cold: allocates.
 * Limits   YAML_FILE_BYTES_MAX; 32 keys a mapping. */
#pragma once

#include <cyaml/cyaml.h>
#include <stddef.h>

#include "core/types/err.h"

#define YAML_FILE_BYTES_MAX (16u << 20)

typedef struct yaml_place { /* of a value; key "" = of the whole section or entry */
    const char *section;    /* "" at the top */
    unsigned    entry;      /* of a list, from 0 */
    const char *key;
    unsigned    line;
} yaml_place_t;

typedef struct yaml_places {
    yaml_place_t *places;
    size_t        count, cap;
} yaml_places_t;

extern const cyaml_config_t yaml_cfg;

/* yaml_load: ERR_NOT_FOUND when there is no such file, ERR_IO when it cannot be read, ERR_CONFIG for what it says; *out
 * is then NULL. Free places in every case. */
err_t yaml_load(const char *file, const cyaml_schema_value_t *schema, void **out, yaml_places_t *places);

/* yaml_line: 0 when it is not written. O(places): for sentences about failures. */
unsigned yaml_line(const yaml_places_t *places, const char *section, unsigned entry, const char *key);

void yaml_places_free(yaml_places_t *places);
