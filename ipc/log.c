#include "ipc/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ipc/message.h"

#define SECOND_NS 1000000000

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

static void publish(log_t *log, uint32_t count)
{
    _Alignas(8) uint8_t buf[LOG_STRIDE - RING_SLOT_HEAD];
    const log_record_t  body = {.utc_ns = clock_ns(CLOCK_REALTIME), .count = count, .level = (uint8_t)log->last_level};
    const msg_t         msg  = {.type = MSG_LOG, .body = &body, .text = log->last};
    size_t              len;
    const err_t         err = message_write(&msg, buf, sizeof(buf), &len);
    assert(err == ERR_OK);
    (void)err;
    ring_publish(&log->ring, &(ring_meta_t){.len = (uint32_t)len, .type = MSG_LOG}, buf);
}

/* One line of printable text, whole characters of UTF-8. It may quote what somebody else sent. */
static void make_printable(char *text, size_t len)
{
    size_t start = len; /* of the last character */
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) {
        start--;
    }
    if (start > 0 && (unsigned char)text[start - 1] >= 0xC0) {
        const unsigned char lead = (unsigned char)text[start - 1];
        const size_t        want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        if (len - (start - 1) < want) {
            text[start - 1] = 0; /* cut in its middle */
        }
    }
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7F) {
            *c = ' ';
        }
    }
    if (text[0] == 0) {
        memcpy(text, "(nothing)", sizeof("(nothing)"));
    }
}

void log_write(log_t *log, log_level_t level, const char *fmt, ...)
{
    char    text[LOG_TEXT_MAX + 1] = "";
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    make_printable(text, n < 0 ? 0 : strlen(text));
    if (log->ring.ring == NULL) {
        fprintf(stderr, "%s\n", text);
        return;
    }
    const int64_t now = clock_ns(CLOCK_MONOTONIC);
    log_flush(log, now);
    if (log->last_level == level && now - log->last_mono_ns < SECOND_NS && strcmp(log->last, text) == 0) {
        log->repeats++;
        return;
    }
    if (log->repeats > 0) {
        publish(log, log->repeats);
        log->repeats = 0;
    }
    log->last_level   = level;
    log->last_mono_ns = now;
    memcpy(log->last, text, sizeof(text));
    publish(log, 1);
}

void log_flush(log_t *log, int64_t mono_ns)
{
    if (log->repeats > 0 && mono_ns - log->last_mono_ns >= SECOND_NS) {
        publish(log, log->repeats);
        log->repeats      = 0;
        log->last_mono_ns = mono_ns;
    }
}
