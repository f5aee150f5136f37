/* The scanner's short cuts against its slow ways, on any bytes. The first byte picks the question:
 *   0  a document: the verdict is the model's; a refusal names the first byte that no good document can have there;
 *      SCAN_UNIQUE never accepts more
 *   1  levels, in parts, equal the generic walk
 *   2  a market data frame, changed here and there: what the predicted walk accepts the generic walk accepts too, with
 *      the same values (the input after the second byte is a list of changes to the frame)
 *   3  one number as decimal and as id equals its text parsed */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/net/scan.h"
#include "core/types/decimal.h"
#include "tests/lib/json_model.h"
#include "tests/lib/levels_model.h"

enum { LEVELS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_document(const char *text, size_t len)
{
    size_t      offset = len, again = 0;
    const err_t err    = scan_validate(text, len, 0, &offset);
    const err_t unique = scan_validate(text, len, SCAN_UNIQUE, NULL);
    assert((err == ERR_OK) == json_model_valid(text, len, SCAN_DEPTH_MAX));
    assert(unique == err || unique == ERR_PARSE || unique == ERR_LIMIT);
    if (err == ERR_TRUNCATED) {
        assert(offset == len);
    } else if (err != ERR_OK) {
        const err_t before = scan_validate(text, offset, 0, NULL);
        assert(offset < len && (before == ERR_OK || before == ERR_TRUNCATED));
        assert(scan_validate(text, offset + 1, 0, &again) == err && again == offset);
    }
}

static void check_levels(const char *text, size_t len, unsigned choice)
{
    const unsigned px_exp = choice % 10, qty_exp = choice / 10 % 10;
    const uint32_t max = 1 + choice % 7;
    level_t        want[LEVELS_MAX], got[LEVELS_MAX];
    uint32_t       count, part, total = 0;
    scan_t         slow, fast;
    scan_init(&slow, text, len);
    scan_init(&fast, text, len);
    const err_t want_err = levels_model_read(&slow, px_exp, qty_exp, want, LEVELS_MAX, &count);
    err_t       err      = ERR_FULL;
    while (err == ERR_FULL && total + max <= LEVELS_MAX) {
        err = scan_levels(&fast, px_exp, qty_exp, got + total, max, &part);
        assert(err != ERR_FULL || part == max);
        total += part;
    }
    if (err != ERR_FULL) {
        assert(err == want_err && total == count);
    }
    assert(total <= count && memcmp(got, want, total * sizeof got[0]) == 0);
}

typedef struct frame {
    uint64_t event_ms, id;
    int64_t  px, qty;
    uint32_t bid_count;
    level_t  bids[LEVELS_MAX];
    bool     maker;
} frame_t;

static const char usual[] =
    "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1723161255343,\"t\":3735683259,"
    "\"p\":\"61837.63000000\",\"q\":\"0.02000000\",\"b\":[[\"61773.6\",\"1001\"],[\"61772.50\",\"0\"]],"
    "\"m\":true}}";

#define EXPECT(s, literal) scan_expect(s, literal, sizeof(literal) - 1)

static bool predicted(const char *text, size_t len, frame_t *f)
{
    scan_t s;
    scan_init(&s, text, len);
    return EXPECT(&s, "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":") &&
           scan_u64(&s, &f->event_ms) == ERR_OK && EXPECT(&s, ",\"t\":") && scan_u64(&s, &f->id) == ERR_OK &&
           EXPECT(&s, ",\"p\":") && scan_decimal(&s, 2, &f->px) == ERR_OK && EXPECT(&s, ",\"q\":") &&
           scan_decimal(&s, 8, &f->qty) == ERR_OK && EXPECT(&s, ",\"b\":") &&
           scan_levels(&s, 2, 8, f->bids, LEVELS_MAX, &f->bid_count) == ERR_OK && EXPECT(&s, ",\"m\":") &&
           scan_bool(&s, &f->maker) == ERR_OK && EXPECT(&s, "}}") && scan_end(&s) == ERR_OK;
}

/* Keys in any order, each exactly once; others are skipped. Reads numbers by their text, levels by the model. */
static bool generic(const char *text, size_t len, frame_t *f)
{
    scan_t     s;
    scan_str_t key, word;
    unsigned   seen = 0, twice = 0;
    int64_t    wide;
    scan_init(&s, text, len);
    scan_enter_object(&s);
    while (scan_member(&s, &key) == ERR_OK) {
        if (!scan_str_is(&key, "data", 4)) {
            scan_skip(&s);
            continue;
        }
        scan_enter_object(&s);
        while (scan_member(&s, &key) == ERR_OK) {
            const char    *known = "eEtpqbm";
            const char    *which = key.len == 1 ? strchr(known, key.text[0]) : NULL;
            const unsigned bit   = which != NULL ? 1u << (which - known) : 0;
            twice |= seen & bit;
            seen |= bit;
            switch (which != NULL ? *which : '\0') {
            case 'E':
            case 't':
                wide = 0;
                if (scan_decimal(&s, 0, &wide) == ERR_OK && wide >= 0) {
                    *(*which == 'E' ? &f->event_ms : &f->id) = (uint64_t)wide;
                } else if (s.err == ERR_OK) {
                    return false;
                }
                break;
            case 'p': scan_decimal(&s, 2, &f->px); break;
            case 'q': scan_decimal(&s, 8, &f->qty); break;
            case 'b':
                if (levels_model_read(&s, 2, 8, f->bids, LEVELS_MAX, &f->bid_count) != ERR_OK) {
                    return false;
                }
                break;
            case 'm': scan_bool(&s, &f->maker); break;
            case 'e': scan_string(&s, &word); break;
            default: scan_skip(&s);
            }
        }
    }
    return scan_end(&s) == ERR_OK && seen == 0x7f && twice == 0;
}

static void check_frame(const uint8_t *edits, size_t count)
{
    char    work[2 * sizeof usual];
    size_t  len  = sizeof usual - 1;
    frame_t fast = {0}, slow = {0};
    memcpy(work, usual, len);
    for (; count >= 3 && len < sizeof work - 1 && len > 0; edits += 3, count -= 3) {
        const size_t at = (edits[0] | (size_t)edits[1] << 8) % len;
        switch (edits[1] >> 6) {
        case 0: memmove(work + at, work + at + 1, len - at - 1), len--; break;
        case 1: memmove(work + at + 1, work + at, len - at), len++; __attribute__((fallthrough));
        default: work[at] = (char)edits[2];
        }
    }
    char *const text = malloc(len > 0 ? len : 1);
    assert(text != NULL);
    memcpy(text, work, len);
    if (predicted(text, len, &fast) && fast.event_ms <= INT64_MAX && fast.id <= INT64_MAX) {
        assert(generic(text, len, &slow));
        assert(json_model_valid(text, len, SCAN_DEPTH_MAX));
        assert(fast.event_ms == slow.event_ms && fast.id == slow.id && fast.px == slow.px && fast.qty == slow.qty &&
               fast.maker == slow.maker && fast.bid_count == slow.bid_count &&
               memcmp(fast.bids, slow.bids, fast.bid_count * sizeof fast.bids[0]) == 0);
    } else if (generic(text, len, &slow)) {
        assert(json_model_valid(text, len, SCAN_DEPTH_MAX));
    }
    free(text);
}

static void check_number(const char *text, size_t len, unsigned choice)
{
    const unsigned exp = choice % (DECIMAL_EXP_MAX + 1);
    scan_t         by_text, by_value, by_id;
    scan_str_t     number;
    int64_t        want = 0, got = 0;
    uint64_t       id = 0;
    scan_init(&by_text, text, len);
    by_value = by_id = by_text;
    err_t err = scan_kind(&by_text) == SCAN_STRING ? scan_string(&by_text, &number) : scan_number(&by_text, &number);
    err       = err == ERR_OK ? decimal_parse(number.text, number.len, exp, &want) : err;
    assert(scan_decimal(&by_value, exp, &got) == err && got == want);
    assert(err != ERR_OK || by_value.at == by_text.at);
    if (scan_u64(&by_id, &id) == ERR_OK && id <= INT64_MAX) {
        scan_init(&by_value, text, len);
        assert(scan_decimal(&by_value, 0, &got) == ERR_OK && (uint64_t)got == id && by_value.at == by_id.at);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    const size_t len  = size - 2;
    char *const  text = malloc(len > 0 ? len : 1); /* exactly as long as the text: a read outside shows */
    assert(text != NULL);
    memcpy(text, data + 2, len);
    switch (data[0] % 4) {
    case 0: check_document(text, len); break;
    case 1: check_levels(text, len, data[1]); break;
    case 2: check_frame(data + 2, len); break;
    default: check_number(text, len, data[1]);
    }
    free(text);
    return 0;
}
