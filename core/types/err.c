#include "core/types/err.h"

#undef err_set
#undef err_wrap

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const err_names[ERR_COUNT] = {
    [ERR_OK]          = "OK",
    [ERR_FULL]        = "FULL",
    [ERR_EMPTY]       = "EMPTY",
    [ERR_AGAIN]       = "AGAIN",
    [ERR_END]         = "END",
    [ERR_ARG]         = "ARG",
    [ERR_PARSE]       = "PARSE",
    [ERR_SCALE]       = "SCALE",
    [ERR_RANGE]       = "RANGE",
    [ERR_GAP]         = "GAP",
    [ERR_CROSSED]     = "CROSSED",
    [ERR_STATE]       = "STATE",
    [ERR_NOT_FOUND]   = "NOT_FOUND",
    [ERR_EXISTS]      = "EXISTS",
    [ERR_LIMIT]       = "LIMIT",
    [ERR_TRUNCATED]   = "TRUNCATED",
    [ERR_UNSUPPORTED] = "UNSUPPORTED",
    [ERR_CONFIG]      = "CONFIG",
    [ERR_IO]          = "IO",
    [ERR_INTERNAL]    = "INTERNAL",
};

static _Thread_local char err_text[512];

const char *err_str(err_t err)
{
    return (unsigned)err < ERR_COUNT ? err_names[err] : "UNKNOWN";
}

err_t err_set(err_t err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(err_text, sizeof err_text, fmt, args);
    va_end(args);
    return err;
}

err_t err_wrap(err_t err, const char *fmt, ...)
{
    char    inner[sizeof err_text];
    va_list args;
    memcpy(inner, err_text, sizeof inner);
    va_start(args, fmt);
    const int len = vsnprintf(err_text, sizeof err_text, fmt, args);
    va_end(args);
    if (len > 0 && (size_t)len < sizeof err_text) {
        const int room =
            (int)sizeof err_text - len; /* the sentence may be cut: said to the compiler by the precision */
        snprintf(err_text + len, (size_t)room, ": %.*s", room, inner);
    }
    return err;
}

const char *err_msg(void)
{
    return err_text;
}
