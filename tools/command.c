#include "tools/command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

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
