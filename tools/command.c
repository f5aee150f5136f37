#include "tools/command.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/strategy/strategy.h"

bool command_colour(FILE *stream)
{
    const char *no = getenv("NO_COLOR");
    return isatty(fileno(stream)) && !(no && *no);
}

int command_error(const char *command, int code, const char *fmt, ...)
{
    const bool colour = command_colour(stderr);
    va_list    args;
    fprintf(stderr, "%shwal %s: ", colour ? "\033[31m" : "", command);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "%s\n", colour ? "\033[0m" : "");
    return code;
}

int command_unknown(const char *command, char **argv)
{
    return command_error(command, EXIT_USAGE,
                         "%s: no such option, or its value is missing or unknown (--help lists them)",
                         argv[optind - 1]);
}

bool command_strategy_help(const char *spec)
{
    char         name[32] = {0};
    const char  *colon    = strchr(spec, ':');
    const size_t len      = colon ? (size_t)(colon - spec) : 0;
    if (!colon || strcmp(colon, ":help") != 0 || len >= sizeof name) {
        return false;
    }
    memcpy(name, spec, len);
    const strategy_ops_t *ops = strategy_find(name);
    if (ops) {
        printf("%s: %s\n", ops->name, ops->help);
    }
    return ops != NULL;
}

json_t *command_text(const char *text)
{
    json_t *json = json_string(text);
    char    plain[2048];
    size_t  n = 0;
    if (json) {
        return json;
    }
    for (const char *c = text; *c && n + 5 < sizeof plain; c++) {
        if ((unsigned char)*c < 0x80) {
            plain[n++] = *c;
        } else {
            n += (size_t)snprintf(plain + n, sizeof plain - n, "\\x%02x", (unsigned char)*c);
        }
    }
    plain[n] = '\0';
    return json_string(plain);
}
