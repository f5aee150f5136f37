#include "tools/yaml_load.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define LEVELS 6 /* root, section, list, entry, list of texts: no schema of ours is deeper */

const cyaml_config_t yaml_cfg = {.mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR, .flags = CYAML_CFG_NO_ALIAS};

typedef struct level { /* a mapping or list that is open */
    const cyaml_schema_value_t *value;
    const cyaml_schema_field_t *field; /* mapping: whose value comes next, NULL = a key does */
    uint32_t                    seen;  /* mapping: bit per field of the schema */
    unsigned                    count; /* list: entries begun */
    unsigned                    line;
} level_t;

typedef struct scan {
    const char                 *file;
    const cyaml_schema_value_t *root;
    yaml_places_t              *places;
    level_t                     level[LEVELS];
    unsigned                    depth;
    unsigned                    documents;
} scan_t;

static err_t refuse(const char *file, unsigned line, const char *fmt, ...) __attribute__((format(printf, 3, 4), cold));
static err_t refuse(const char *file, unsigned line, const char *fmt, ...)
{
    char    text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return err_set(ERR_CONFIG, "%s line %u: %s", file, line, text);
}

static bool is_mapping(const cyaml_schema_value_t *value)
{
    return value->type == CYAML_MAPPING;
}

/* The place that the scan stands at: what belongs to the section, the entry and the key. */
static yaml_place_t place_now(const scan_t *s, unsigned line)
{
    yaml_place_t p      = {.section = "", .key = "", .line = line};
    bool         listed = false;
    for (unsigned i = 0; i < s->depth; i++) {
        const level_t *l = &s->level[i];
        if (!is_mapping(l->value)) {
            p.entry = listed ? p.entry : l->count - 1; /* of the outer list: a list in an entry is the entry's */
            listed  = true;
        } else if (l->field) {
            p.section = i == 0 ? l->field->key : p.section;
            p.key     = i == 0 ? "" : l->field->key;
        }
    }
    return p;
}

/* "market.rate" for sentences. */
static const char *spoken(const yaml_place_t *p, const char *key, size_t len, char out[160])
{
    snprintf(out, 160, "%s%s%.*s", p->section, *p->section && len ? "." : "", (int)(len < 64 ? len : 64), key);
    return *out ? out : "the file";
}

static err_t scan_key(scan_t *s, level_t *top, const yaml_event_t *e)
{
    const unsigned line = (unsigned)e->start_mark.line + 1;
    char           name[160], known[300] = "";
    size_t         n = 0;
    if (e->type != YAML_SCALAR_EVENT) {
        return refuse(s->file, line, "a key must be a plain word");
    }
    const char        *key   = (const char *)e->data.scalar.value;
    const yaml_place_t place = place_now(s, line);
    spoken(&place, key, e->data.scalar.length, name);
    for (unsigned i = 0; top->value->mapping.fields[i].key; i++) {
        const cyaml_schema_field_t *field = &top->value->mapping.fields[i];
        if (strcmp(field->key, key) == 0) {
            if (top->seen & 1u << i) {
                return refuse(s->file, line, "%s is written twice", name);
            }
            top->seen |= 1u << i;
            top->field = field;
            return ERR_OK;
        }
        if (n < sizeof known) {
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", field->key);
        }
    }
    return refuse(s->file, line, "%s: no such key; there are %s", name, known);
}

static err_t place_add(scan_t *s, const cyaml_schema_value_t *value, unsigned line)
{
    yaml_places_t *y = s->places;
    yaml_place_t   p = place_now(s, line);
    if (y->count == y->cap) {
        const size_t  cap = y->cap ? 2 * y->cap : 64;
        yaml_place_t *mem = realloc(y->places, cap * sizeof *mem);
        if (!mem) {
            return err_set(ERR_LIMIT, "%s: out of memory", s->file);
        }
        y->places = mem;
        y->cap    = cap;
    }
    if (s->depth == 1 && value->type == CYAML_STRING) { /* a setting at the top has no section */
        p.key     = p.section;
        p.section = "";
    }
    y->places[y->count++] = p;
    return ERR_OK;
}

static err_t scan_value(scan_t *s, const yaml_event_t *e)
{
    level_t                    *top = s->depth ? &s->level[s->depth - 1] : NULL;
    const cyaml_schema_value_t *value =
        top ? (is_mapping(top->value) ? &top->field->value : top->value->sequence.entry) : s->root;
    const unsigned line = (unsigned)e->start_mark.line + 1;
    if (top && !is_mapping(top->value)) {
        top->count++;
    }
    const yaml_place_t place = place_now(s, line);
    char               name[160];
    const char        *subject = spoken(&place, place.key, strlen(place.key), name);
    if (top && !is_mapping(top->value) && top->count > top->value->sequence.max) {
        return refuse(s->file, line, "%s has more than %u entries", subject, top->value->sequence.max);
    }
    static const char *const wants[] = {[YAML_SCALAR_EVENT]         = "a text",
                                        [YAML_SEQUENCE_START_EVENT] = "a list",
                                        [YAML_MAPPING_START_EVENT]  = "key: value"};
    const yaml_event_type_t  want    = value->type == CYAML_STRING    ? YAML_SCALAR_EVENT
                                       : value->type == CYAML_MAPPING ? YAML_MAPPING_START_EVENT
                                                                      : YAML_SEQUENCE_START_EVENT;
    if (e->type != want) {
        return refuse(s->file, line, "%s%s must be %s, not %s", subject, top && !is_mapping(top->value) ? " entry" : "",
                      wants[want], wants[e->type]);
    }
    const err_t err = want == YAML_SEQUENCE_START_EVENT ? ERR_OK : place_add(s, value, line);
    if (err) {
        return err;
    }
    if (want != YAML_SCALAR_EVENT) {
        assert(s->depth < LEVELS);
        s->level[s->depth++] = (level_t){.value = value, .line = line};
        return ERR_OK;
    }
    if (strlen((const char *)e->data.scalar.value) != e->data.scalar.length) {
        return refuse(s->file, line, "%s has a byte 0 in it", subject);
    }
    if (e->data.scalar.length > value->string.max) {
        return refuse(s->file, line, "%s has %zu bytes, no value has more than %u", subject, e->data.scalar.length,
                      value->string.max);
    }
    if (is_mapping(top->value)) {
        top->field = NULL;
    }
    return ERR_OK;
}

static err_t scan_end(scan_t *s)
{
    const level_t               ended = s->level[--s->depth];
    level_t                    *top   = s->depth ? &s->level[s->depth - 1] : NULL;
    const cyaml_schema_field_t *field = is_mapping(ended.value) ? ended.value->mapping.fields : NULL;
    for (unsigned i = 0; field && field[i].key; i++) {
        if (!(ended.seen & 1u << i) && !(field[i].value.flags & CYAML_FLAG_OPTIONAL)) {
            const yaml_place_t place = place_now(s, 0);
            char               name[160];
            return refuse(s->file, ended.line, "%s is missing",
                          spoken(&place, field[i].key, strlen(field[i].key), name));
        }
    }
    if (top && is_mapping(top->value)) {
        top->field = NULL;
    }
    return ERR_OK;
}

static err_t scan_event(scan_t *s, const yaml_event_t *e)
{
    const unsigned line = (unsigned)e->start_mark.line + 1;
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return s->documents++ ? refuse(s->file, line, "a second document begins; one file is one document") : ERR_OK;
    case YAML_ALIAS_EVENT: return refuse(s->file, line, "alias *%s: anchors are not read here", e->data.alias.anchor);
    case YAML_SCALAR_EVENT:
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: {
        const yaml_char_t *anchor = e->type == YAML_SCALAR_EVENT           ? e->data.scalar.anchor
                                    : e->type == YAML_SEQUENCE_START_EVENT ? e->data.sequence_start.anchor
                                                                           : e->data.mapping_start.anchor;
        level_t           *top    = s->depth ? &s->level[s->depth - 1] : NULL;
        if (anchor) {
            return refuse(s->file, line, "anchor &%s: anchors are not read here", anchor);
        }
        return top && is_mapping(top->value) && !top->field ? scan_key(s, top, e) : scan_value(s, e);
    }
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return scan_end(s);
    default: return ERR_OK;
    }
}

/* libyaml's own words, with the one that everybody meets made plain. */
static err_t syntax_error(const char *file, const char *text, size_t len, const yaml_parser_t *parser)
{
    const size_t line = parser->problem_mark.line;
    const char  *at   = text;
    for (size_t i = 0; i < line && at; i++) {
        at = memchr(at, '\n', len - (size_t)(at - text));
        at = at ? at + 1 : NULL;
    }
    const bool tab = at && memchr(at, '\t', strspn(at, " \t"));
    if (parser->error == YAML_READER_ERROR) { /* it knows the byte, not the line */
        unsigned before = 1;
        for (size_t i = 0; i < parser->problem_offset && i < len; i++) {
            before += text[i] == '\n';
        }
        return refuse(file, before, "%s", parser->problem);
    }
    return refuse(file, (unsigned)line + 1, "%s",
                  tab               ? "a tab stands before the first word; YAML indents with spaces"
                  : parser->problem ? parser->problem
                                    : "no YAML");
}

static err_t scan_text(const char *text, size_t len, scan_t *s)
{
    yaml_parser_t parser;
    bool          end = false;
    err_t         err = ERR_OK;
    if (!yaml_parser_initialize(&parser)) {
        return err_set(ERR_LIMIT, "%s: out of memory", s->file);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    while (!err && !end) {
        yaml_event_t e;
        if (!yaml_parser_parse(&parser, &e)) {
            err = syntax_error(s->file, text, len, &parser);
            break;
        }
        err = scan_event(s, &e);
        end = e.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&parser);
    return err || s->documents ? err : err_set(ERR_CONFIG, "%s: is empty, or comments only", s->file);
}

/* The whole file with a zero byte behind it. */
static err_t file_read(const char *file, char **out, size_t *len)
{
    FILE *f = fopen(file, "re");
    if (!f) {
        return err_set(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: cannot be read: %s", file, strerror(errno));
    }
    size_t cap = 65536, n = 0;
    char  *text = malloc(cap + 1);
    while (text && !feof(f) && !ferror(f) && n <= YAML_FILE_BYTES_MAX) {
        if (n == cap) {
            char *more = realloc(text, 2 * cap + 1);
            if (!more) {
                free(text);
                text = NULL;
                break;
            }
            text = more;
            cap *= 2;
        }
        errno = 0;
        n += fread(text + n, 1, cap - n, f);
    }
    const err_t err = !text       ? err_set(ERR_LIMIT, "%s: out of memory", file)
                      : ferror(f) ? err_set(ERR_IO, "%s: cannot be read: %s", file, strerror(errno))
                      : n > YAML_FILE_BYTES_MAX
                          ? err_set(ERR_LIMIT, "%s: more than %u bytes", file, YAML_FILE_BYTES_MAX)
                          : ERR_OK;
    fclose(f);
    if (err) {
        free(text);
        return err;
    }
    text[n] = '\0';
    *out    = text;
    *len    = n;
    return ERR_OK;
}

err_t yaml_load(const char *file, const cyaml_schema_value_t *schema, void **out, yaml_places_t *places)
{
    scan_t s    = {.file = file, .root = schema, .places = places};
    char  *text = NULL;
    size_t len  = 0;
    *out        = NULL;
    err_t err   = file_read(file, &text, &len);
    err         = err ? err : scan_text(text, len, &s);
    if (!err) {
        const cyaml_err_t rc = cyaml_load_data((const uint8_t *)text, len, &yaml_cfg, schema, out, NULL);
        err                  = rc == CYAML_OK ? ERR_OK : err_set(ERR_CONFIG, "%s: %s", file, cyaml_strerror(rc));
    }
    free(text);
    return err;
}

unsigned yaml_line(const yaml_places_t *places, const char *section, unsigned entry, const char *key)
{
    for (size_t i = 0; i < places->count; i++) {
        const yaml_place_t *p = &places->places[i];
        if (p->entry == entry && strcmp(p->key, key) == 0 && strcmp(p->section, section) == 0) {
            return p->line;
        }
    }
    return 0;
}

void yaml_places_free(yaml_places_t *places)
{
    free(places->places);
    *places = (yaml_places_t){0};
}
