/* fuzz_binance: the predicted walk and the walk by key are one codec.
 *
 * Input: one byte for the market, then one frame a line, or `!`: data were lost. Each frame is decoded twice: as it
 * stands, and with a blank behind its first brace, which means the same and makes every prediction fail. Both must
 * agree: refused by both or taken by both with the same messages; and the feeds must stand alike afterwards. (A frame
 * that is refused may have sent its first parts on one side only, so rpt_seq is left out, and so are the messages of
 * refused frames.) Frames lie in blocks of exactly their size: the sanitizer sees a read beyond the end. */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/venue.h"
#include "core/types/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct twin {
    void    *codec;
    md_buf_t slot;
    uint64_t hash;
} twin_t;

static md_slot_t slot_reserve(void *ctx, msg_type_t type)
{
    (void)type;
    twin_t *s = ctx;
    memset(&s->slot, 0xa5, sizeof s->slot);
    return (md_slot_t){.body = &s->slot.body, .levels = s->slot.levels};
}

static void slot_commit(void *ctx, const msg_t *msg)
{
    twin_t *s = ctx;
    if (msg->type == MSG_BOOK_UPDATE) {
        assert(s->slot.body.book.bid_count + s->slot.body.book.ask_count == msg->tail_count);
        assert(msg->tail_count <= BOOK_UPDATE_MAX_LEVELS);
        s->slot.body.book.rpt_seq = 0;
    }
    s->hash = hash_bytes(s->hash, msg->body, msg_body_size(msg->type));
    s->hash = hash_bytes(s->hash, msg->tail, msg->tail_count * sizeof(level_t));
}

static void twin_open(const venue_codec_t *ops, twin_t *s, uint8_t market)
{
    static const int8_t     px_exp[] = {2, 2, 1}, qty_exp[] = {8, 3, 0};
    const venue_codec_cfg_t cfg = {
        .feeds_max = 2, .pending_parts = 256, .sink = {.ctx = s, .reserve = slot_reserve, .commit = slot_commit}};
    const size_t bytes   = ops->footprint(&cfg);
    s->codec             = ops->create(aligned_alloc(64, (bytes + 63) / 64 * 64), &cfg);
    s->hash              = 0;
    const feed_ref_t ref = {.instrument_id = 1,
                            .kind          = (uint8_t)(INSTRUMENT_SPOT + market),
                            .px_exp        = px_exp[market],
                            .qty_exp       = qty_exp[market],
                            .symbol        = "BTCUSDT"};
    const err_t      err = ops->feed_add(s->codec, &ref);
    assert(err == ERR_OK);
}

static err_t decode_exact(const venue_codec_t *ops, void *codec, const char *head, const uint8_t *text, size_t len)
{
    const size_t n     = strlen(head);
    char        *exact = malloc(n + len + (n + len == 0));
    memcpy(exact, head, n);
    memcpy(exact + n, text, len);
    const md_frame_t frame = {.text = exact, .len = n + len, .ts_recv_ns = 1, .instrument_id = 1};
    const err_t      err   = ops->decode(codec, &frame);
    free(exact);
    return err;
}

static void compare(const feed_stats_t *a, const feed_stats_t *b)
{
    assert(a->diffs == b->diffs);
    assert(a->diffs == a->diffs_applied + a->diffs_dropped + a->diffs_pending);
    assert(a->diffs_applied == b->diffs_applied);
    assert(a->diffs_dropped == b->diffs_dropped);
    assert(a->diffs_pending == b->diffs_pending);
    assert(a->snapshots == b->snapshots);
    assert(a->snapshots_stale == b->snapshots_stale);
    assert(a->trades == b->trades);
    assert(a->trade_gaps == b->trade_gaps);
    assert(a->tops == b->tops);
    assert(a->last_update_id == b->last_update_id);
    assert(a->last_trade_id == b->last_trade_id);
    assert(a->health == b->health);
    assert(a->garbled + a->off_scale == b->garbled + b->off_scale);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    const venue_codec_t *ops = venue_codec_find("binance");
    twin_t               straight, by_key;
    twin_open(ops, &straight, data[0] % 3);
    twin_open(ops, &by_key, data[0] % 3);
    const uint8_t *end = data + size;
    for (const uint8_t *at = data + 1; at < end;) {
        const uint8_t *nl  = memchr(at, '\n', (size_t)(end - at));
        const uint8_t *to  = nl != NULL ? nl : end;
        const size_t   len = (size_t)(to - at);
        if (len > 0 && *at == '{') {
            const uint64_t before = straight.hash;
            const err_t    a      = decode_exact(ops, straight.codec, "", at, len);
            const err_t    b      = decode_exact(ops, by_key.codec, "{ ", at + 1, len - 1);
            const bool     taken  = a == ERR_OK || a == ERR_GAP;
            assert(taken ? a == b : b != ERR_OK && b != ERR_GAP);
            if (taken) {
                assert(straight.hash == by_key.hash);
            } else {
                straight.hash = by_key.hash = before;
            }
            compare(ops->feed_stats(straight.codec, 1), ops->feed_stats(by_key.codec, 1));
        } else if (len > 0 && *at == '!') {
            ops->lost(straight.codec, 1, FEED_REASON_LOST, 1);
            ops->lost(by_key.codec, 0, FEED_REASON_LOST, 1);
            assert(straight.hash == by_key.hash);
            compare(ops->feed_stats(straight.codec, 1), ops->feed_stats(by_key.codec, 1));
            assert(ops->feed_stats(straight.codec, 1)->health != FEED_LIVE);
        }
        at = to + 1;
    }
    free(straight.codec);
    free(by_key.codec);
    return 0;
}
