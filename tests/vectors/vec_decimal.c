/* Text to scaled integer against conformance/decimal: by decimal_parse, and by the scanner with the text as a quoted
 * and as a bare member of a message. What is accepted is printed, and parsed again to the same integer. */
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/net/scan.h"
#include "core/types/decimal.h"

enum { TEXT_MAX = 4096 };

static bool same(err_t err, int64_t got, const char *expect)
{
    return expect == NULL ? err != ERR_OK : err == ERR_OK && got == strtoll(expect, NULL, 10);
}

/* The text as a value of a JSON message. Texts that are no JSON in that place must be refused like any other. */
static bool scanned(const char *quote, const char *text, size_t len, unsigned exp, const char *expect)
{
    char         msg[TEXT_MAX + 16];
    const size_t width = strlen(quote);
    size_t       used  = 0;
    msg[used++]        = '[';
    memcpy(msg + used, quote, width);
    memcpy(msg + used + width, text, len);
    memcpy(msg + used + width + len, quote, width);
    used += len + 2 * width;
    msg[used++] = ']';
    scan_t  s;
    int64_t got = 0;
    scan_init(&s, msg, used);
    scan_enter_array(&s);
    scan_element(&s);
    err_t err = scan_decimal(&s, exp, &got);
    err       = err == ERR_OK && scan_element(&s) != ERR_END ? ERR_PARSE : err;
    err       = err == ERR_OK ? scan_end(&s) : err;
    return same(err, got, expect);
}

static bool passes(json_t *line)
{
    json_t *const text  = json_object_get(line, "text");
    json_t *const scale = json_object_get(line, "scale");
    const char   *bytes = json_string_value(text);
    const size_t  len   = json_string_length(text);
    const char   *want  = json_string_value(json_object_get(line, "expect")); /* NULL: refuse */
    if (bytes == NULL || !json_is_integer(scale) || len > TEXT_MAX || json_object_get(line, "expect") == NULL) {
        return false;
    }
    const unsigned exp = (unsigned)json_integer_value(scale);
    int64_t        got = 0;
    const err_t    err = decimal_parse(bytes, len, exp, &got);
    if (!same(err, got, want) || !scanned("\"", bytes, len, exp, want)) {
        return false;
    }
    /* white space round a bare value belongs to the message, not to the number */
    if (strchr(" \n", bytes[0]) == NULL && (len == 0 || strchr(" \n", bytes[len - 1]) == NULL) &&
        !scanned("", bytes, len, exp, want)) {
        return false;
    }
    char    again[DECIMAL_TEXT_MAX];
    int64_t back = 0;
    return err != ERR_OK ||
           (decimal_parse(again, decimal_format(got, exp, again), exp, &back) == ERR_OK && back == got);
}

int main(void)
{
    const char *shared = getenv("HWAL_SHARED");
    char        path[4096];
    snprintf(path, sizeof path, "%s/conformance/decimal/parse.jsonl", shared != NULL ? shared : "../shared");
    FILE *const file = fopen(path, "r");
    if (file == NULL) {
        printf("SKIP vec_decimal: no %s (set HWAL_SHARED)\n", path);
        return 77;
    }
    char  *line = NULL;
    size_t cap = 0, passed = 0, total = 0;
    while (getline(&line, &cap, file) > 0) {
        json_error_t error;
        json_t      *test = json_loads(line, JSON_ALLOW_NUL, &error);
        const bool   good = test != NULL && passes(test);
        if (!good) {
            const char *id = json_string_value(json_object_get(test, "id"));
            printf("FAIL %s\n", id != NULL ? id : error.text);
        }
        passed += good;
        total++;
        json_decref(test);
    }
    free(line);
    fclose(file);
    printf("decimal: passed %zu / %zu\n", passed, total);
    return total > 0 && passed == total ? 0 : 1;
}
