/* The scanner against conformance/json-parsing. A case passes when
 *   - the verdict is the manifest's (accept, reject; "either" must only be consistent, and its number never becomes
 *     an integer), the document lying directly before an unreadable page;
 *   - fed one byte at a time (validate after each byte) it is refused or accepted alike, and an accepted document was
 *     refused at no earlier byte;
 *   - an accepted document without duplicate members reads value for value like jansson reads it;
 *   - SCAN_UNIQUE refuses what jansson refuses for a duplicate member.
 * test_transform holds documents for which only the last three are asked. */
#include <assert.h>
#include <dirent.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "adapters/net/scan.h"

enum { DOC_MAX = 1 << 20, PAGE = 4096 };

static char *fence; /* the unreadable page begins here; DOC_MAX bytes before it are ours */

/* The next value of s is `want`, all the way down (jansson's trees are at most as deep as the scanner's). */
static bool reads_like(scan_t *s, const json_t *want)
{
    static char buf[DOC_MAX];
    scan_str_t  str;
    size_t      len, seen = 0;
    int64_t     number;
    bool        yes, good = true;
    err_t       err;
    switch (json_typeof(want)) {
    case JSON_OBJECT:
        good = scan_enter_object(s) == ERR_OK;
        while (good && (err = scan_member(s, &str)) == ERR_OK) {
            const json_t *value =
                scan_str_copy(&str, buf, sizeof buf, &len) == ERR_OK ? json_object_getn(want, buf, len) : NULL;
            good = value != NULL && scan_str_is(&str, buf, len) && reads_like(s, value);
            seen++;
        }
        return good && err == ERR_END && seen == json_object_size(want);
    case JSON_ARRAY:
        good = scan_enter_array(s) == ERR_OK;
        while (good && (err = scan_element(s)) == ERR_OK) {
            good = reads_like(s, json_array_get(want, seen++));
        }
        return good && err == ERR_END && seen == json_array_size(want);
    case JSON_STRING:
        return scan_string(s, &str) == ERR_OK && scan_str_copy(&str, buf, sizeof buf, &len) == ERR_OK &&
               len == json_string_length(want) && memcmp(buf, json_string_value(want), len) == 0;
    case JSON_INTEGER: return scan_decimal(s, 0, &number) == ERR_OK && number == json_integer_value(want);
    case JSON_REAL: return scan_kind(s) == SCAN_NUMBER && scan_number(s, &str) == ERR_OK;
    case JSON_TRUE: return scan_bool(s, &yes) == ERR_OK && yes;
    case JSON_FALSE: return scan_bool(s, &yes) == ERR_OK && !yes;
    default: return scan_kind(s) == SCAN_NULL && scan_skip(s) == ERR_OK;
    }
}

static err_t byte_by_byte(const char *text, size_t len)
{
    err_t err = scan_validate(text, 0, 0, NULL);
    for (size_t fed = 1; fed <= len; fed++) {
        err = scan_validate(text, fed, 0, NULL);
        if (err != ERR_OK && err != ERR_TRUNCATED) {
            return err;
        }
    }
    return err;
}

/* The first number in the document must not become an integer: these are all beyond an int64. */
static bool refuses_number(const char *text, size_t len)
{
    scan_t  s;
    int64_t out = 0;
    scan_init(&s, text, len);
    if (scan_enter_array(&s) != ERR_OK || scan_element(&s) != ERR_OK || scan_kind(&s) != SCAN_NUMBER) {
        return true;
    }
    const err_t err = scan_decimal(&s, 0, &out);
    return (err == ERR_RANGE || err == ERR_SCALE) && out == 0;
}

static bool case_passes(const char *text, size_t len, const char *rule)
{
    size_t       at_whole = len;
    const err_t  whole    = scan_validate(text, len, 0, &at_whole);
    const err_t  unique   = scan_validate(text, len, SCAN_UNIQUE, NULL);
    json_error_t error;
    json_t      *tree = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    bool         good = byte_by_byte(text, len) == whole && at_whole <= len;
    if (strcmp(rule, "accept") == 0) {
        good = good && whole == ERR_OK;
    } else if (strncmp(rule, "reject", 6) == 0) {
        good = good && whole != ERR_OK;
    } else if (strncmp(rule, "either", 6) == 0) {
        good = good && refuses_number(text, len);
    } else {
        good = good && strcmp(rule, "transform") == 0;
    }
    if (tree != NULL) {
        scan_t s;
        scan_init(&s, text, len);
        good = good && (whole == ERR_LIMIT || /* jansson goes deeper; allowed where the rule is "either" */
                        (whole == ERR_OK && unique == ERR_OK && reads_like(&s, tree) && scan_end(&s) == ERR_OK));
        json_decref(tree);
    } else if (json_error_code(&error) == json_error_duplicate_key) {
        good = good && whole == ERR_OK && unique == ERR_PARSE;
    } else { /* jansson also refuses what its types cannot hold: no verdict on the grammar */
        const enum json_error_code code = json_error_code(&error);
        good = good && (whole != ERR_OK || code == json_error_numeric_overflow || code == json_error_null_byte_in_key);
    }
    return good;
}

/* The whole file, put so that its last byte is the last readable one. */
static const char *load(const char *path, size_t *len)
{
    static char buf[DOC_MAX];
    FILE *const file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    *len             = fread(buf, 1, sizeof buf, file);
    const bool whole = *len < sizeof buf && feof(file);
    fclose(file);
    memcpy(fence - *len, buf, *len);
    return whole ? fence - *len : NULL;
}

static bool run(const char *folder, const char *name, const char *rule)
{
    char   path[4096];
    size_t len;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const char *text = load(path, &len);
    const bool  good = text != NULL && case_passes(text, len, rule);
    if (!good) {
        printf("FAIL %s (%s)\n", name, rule);
    }
    return good;
}

static size_t count_files(const char *folder)
{
    DIR *const dir   = opendir(folder);
    size_t     files = 0;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        files += entry->d_name[0] != '.';
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return files;
}

int main(void)
{
    const char *shared = getenv("HWAL_SHARED");
    char        base[2048], path[4096], parsing[4096];
    snprintf(base, sizeof base, "%s/conformance/json-parsing", shared != NULL ? shared : "../shared");
    snprintf(path, sizeof path, "%s/manifest.tsv", base);
    FILE *const manifest = fopen(path, "r");
    if (manifest == NULL) {
        printf("SKIP vec_json: no %s (set HWAL_SHARED)\n", path);
        return 77;
    }
    char *const room = mmap(NULL, DOC_MAX + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(room != MAP_FAILED && mprotect(room + DOC_MAX, PAGE, PROT_NONE) == 0);
    fence = room + DOC_MAX;

    snprintf(parsing, sizeof parsing, "%s/test_parsing", base);
    char  *line = NULL;
    size_t cap = 0, passed = 0, total = 0;
    for (bool title = true; getline(&line, &cap, manifest) > 0; title = false) {
        char       *rest = line;
        const char *name = strsep(&rest, "\t");
        const char *rule = strsep(&rest, "\t");
        if (!title) {
            passed += rule != NULL && run(parsing, name, rule);
            total++;
        }
    }
    free(line);
    fclose(manifest);
    bool complete = count_files(parsing) == total; /* a file that the manifest does not name would go untested */
    if (!complete) {
        printf("FAIL manifest.tsv does not name every file of test_parsing\n");
    }

    snprintf(path, sizeof path, "%s/test_transform", base);
    DIR *const dir = opendir(path);
    complete       = complete && dir != NULL;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            passed += run(path, entry->d_name, "transform");
            total++;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    munmap(room, DOC_MAX + PAGE);
    printf("json-parsing: passed %zu / %zu\n", passed, total);
    return complete && passed == total ? 0 : 1;
}
