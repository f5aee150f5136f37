/* err: one enum for every expected failure in the house, and one place for the sentence that explains it.
 *
 * ERR_OK is 0. FULL, EMPTY, AGAIN and END are answers, not failures: callers branch on them and nobody logs them.
 * Everything else comes with a sentence that err_set() built where the fact was known (what was tried, on which
 * object, against which limit); callers further out put their own words in front with err_wrap(), so that the
 * message reads as a trail: "replay: btc.gz line 9001: depth: key \"U\" is not a number".
 *
 * Threads   the sentence is per thread (fixed 512 bytes, never allocated); the codes are plain values.
 * Cost      err_set formats text: failure paths only, never once per good event.
 * Numbers   codes are internal to a build: they are not stored and not sent (wire codes are in msg.h and risk.h). */
#pragma once

typedef enum err {
    ERR_OK = 0,
    ERR_FULL,        /* no room now; the caller decides what that means                   */
    ERR_EMPTY,       /* nothing there now                                                 */
    ERR_AGAIN,       /* incomplete: more input needed                                     */
    ERR_END,         /* the stream ended in an orderly way                                */
    ERR_ARG,         /* an argument or a setting out of its stated range                  */
    ERR_PARSE,       /* text or bytes that do not follow their grammar                    */
    ERR_SCALE,       /* a number finer than the scale it must fit: refused, never rounded */
    ERR_RANGE,       /* a number or a product that does not fit its type                  */
    ERR_GAP,         /* a sequence jumped: something was lost                             */
    ERR_CROSSED,     /* a book whose best bid is not below its best ask                   */
    ERR_STATE,       /* right call, wrong moment                                          */
    ERR_NOT_FOUND,   /* no object of that name or id                                      */
    ERR_EXISTS,      /* there is one already                                              */
    ERR_LIMIT,       /* a configured or built-in maximum was reached                      */
    ERR_TRUNCATED,   /* input ended in the middle of something                            */
    ERR_UNSUPPORTED, /* understood, and not done here                                     */
    ERR_CONFIG,      /* configuration refused                                             */
    ERR_IO,          /* the operating system said no; the sentence holds errno's words    */
    ERR_INTERNAL,    /* an invariant of ours does not hold                                */
    ERR_COUNT
} err_t;

/* err_str: the name of a code, for example "GAP". Static text, never NULL. */
const char *err_str(err_t err);

/* err_set: store the sentence of this thread and return err, so that `return err_set(ERR_RANGE, ...)` is one line. */
err_t err_set(err_t err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* err_wrap: put context in front of this thread's sentence ("context: sentence"); returns err unchanged. */
err_t err_wrap(err_t err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* err_msg: this thread's last sentence; "" when none was set. Valid until the next err_set/err_wrap of the thread. */
const char *err_msg(void);

#ifdef __clang_analyzer__ /* it cannot see that these return their first argument, and would follow paths that are not there */
#define err_set(err, ...) (err)
#define err_wrap(err, ...) (err)
#endif
