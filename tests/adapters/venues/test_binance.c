/* Binance codec and book synchronisation: what must hold
 *   - real captures give exactly the counted facts: dropped, applied, gaps, trades, last id, best prices, levels, and
 *     after each diff the best quote agrees with the venue's own quote stream
 *   - whenever a feed is LIVE, a plain book built from its messages is the venue's book at last_update_id (random
 *     streams with losses, repeats, stale and late snapshots; the venue is a list of single changes)
 *   - each edge of the rule: the id that is dropped, kept, a gap; missing ids are named
 *   - messages travel in parts of at most 64 levels, FIRST and LAST flagged, rpt_seq consecutive
 *   - any order of keys, unknown keys and white space mean the same; a frame cut at any byte is refused, and breaks
 *     its book; what is off scale is refused, never rounded
 *   - nothing is read beyond the text (texts lie in blocks of exactly their size: AddressSanitizer watches) */
#include <inttypes.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapters/capture/capture.h"
#include "adapters/venue.h"

static uint64_t rng;

static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

/* ---- a plain book and a log behind the sink ---------------------------------------------------------------------- */
typedef struct side_book {
    level_t *level; /* sorted by price, rising */
    uint32_t count, cap;
} side_book_t;

typedef struct world { /* one instrument's codec and what came out of it */
    const venue_codec_t *ops;
    void                *codec;
    md_buf_t             slot;
    msg_type_t           reserved;
    side_book_t          side[2];
    bool                 open;   /* FIRST seen, LAST not */
    bool                 broken; /* by FEED_STATE, or no snapshot yet */
    uint64_t             rpt_seq, parts;
    uint32_t             levels_max; /* in a part */
    feed_state_t         last_state;
    book_update_t        last_book;
    trade_t              last_trade;
    top_t                last_top;
    uint64_t             states, books, trades, tops;
    uint64_t             hash; /* over everything that came out */
    void (*on_book)(struct world *w);
    void (*on_top)(struct world *w);
    void *user;
} world_t;

static void hash_add(world_t *w, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < len; i++) {
        w->hash = (w->hash ^ p[i]) * 0x100000001b3ULL;
    }
}

static md_slot_t world_reserve(void *ctx, msg_type_t type)
{
    world_t *w = ctx;
    memset(&w->slot, 0xa5, sizeof w->slot); /* what the codec does not write shows */
    w->reserved = type;
    return (md_slot_t){.body = &w->slot.body, .levels = w->slot.levels};
}

static void level_set(side_book_t *b, level_t l)
{
    uint32_t lo = 0, hi = b->count;
    while (lo < hi) {
        const uint32_t mid = (lo + hi) / 2;
        if (b->level[mid].px < l.px) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    const bool have = lo < b->count && b->level[lo].px == l.px;
    if (l.qty == 0) {
        if (have) {
            memmove(&b->level[lo], &b->level[lo + 1], (--b->count - lo) * sizeof l);
        }
        return;
    }
    if (!have) {
        if (b->count == b->cap) {
            b->cap   = b->cap * 2 + 64;
            b->level = realloc(b->level, b->cap * sizeof l);
            assert_non_null(b->level);
        }
        memmove(&b->level[lo + 1], &b->level[lo], (b->count++ - lo) * sizeof l);
    }
    b->level[lo] = l;
}

static level_t best_bid(const world_t *w)
{
    return w->side[0].count > 0 ? w->side[0].level[w->side[0].count - 1] : (level_t){0};
}

static level_t best_ask(const world_t *w)
{
    return w->side[1].count > 0 ? w->side[1].level[0] : (level_t){0};
}

static void book_commit(world_t *w, const msg_t *msg)
{
    const book_update_t *u      = msg->body;
    const level_t       *levels = msg->tail;
    assert_ptr_equal(levels, w->slot.levels);
    assert_int_equal(u->reserved, 0);
    assert_int_equal(msg->tail_count, u->bid_count + u->ask_count);
    assert_true(msg->tail_count <= BOOK_UPDATE_MAX_LEVELS);
    assert_int_equal(u->rpt_seq, ++w->rpt_seq);
    assert_int_equal((u->flags & BOOK_FLAG_FIRST) != 0, !w->open);
    assert_true(u->venue_seq_first <= u->venue_seq);
    w->parts++;
    w->levels_max = msg->tail_count > w->levels_max ? msg->tail_count : w->levels_max;
    w->last_book  = *u;
    if ((u->flags & BOOK_FLAG_SNAPSHOT) != 0 && (u->flags & BOOK_FLAG_FIRST) != 0) {
        w->side[0].count = w->side[1].count = 0;
        w->broken                           = false;
    }
    assert_false(w->broken); /* nothing but a snapshot after a fault */
    for (uint32_t i = 0; i < msg->tail_count; i++) {
        level_set(&w->side[i >= u->bid_count], levels[i]);
    }
    w->open = (u->flags & BOOK_FLAG_LAST) == 0;
    if (!w->open) {
        w->books++;
        if (w->on_book != NULL) {
            w->on_book(w);
        }
    }
}

static void world_commit(void *ctx, const msg_t *msg)
{
    world_t *w = ctx;
    assert_int_equal(msg->type, w->reserved);
    assert_ptr_equal(msg->body, &w->slot.body);
    w->reserved = MSG_NONE;
    hash_add(w, &msg->type, sizeof msg->type);
    hash_add(w, msg->body, msg_body_size(msg->type));
    hash_add(w, msg->tail, msg->tail_count * sizeof(level_t));
    switch (msg->type) {
    case MSG_BOOK_UPDATE: book_commit(w, msg); break;
    case MSG_TRADE:
        w->last_trade = *(const trade_t *)msg->body;
        w->trades++;
        break;
    case MSG_TOP:
        w->last_top = *(const top_t *)msg->body;
        w->tops++;
        if (w->on_top != NULL) {
            w->on_top(w);
        }
        break;
    case MSG_FEED_STATE:
        w->last_state = *(const feed_state_t *)msg->body;
        assert_int_equal(w->last_state.health, FEED_BROKEN);
        assert_int_equal(w->last_state.reserved, 0);
        w->states++;
        w->broken = true;
        w->open   = false;
        break;
    default: fail_msg("message type %d", (int)msg->type);
    }
}

static void world_open(world_t *w, const feed_ref_t *ref, uint32_t pending_parts)
{
    memset(w, 0, sizeof *w);
    w->broken                   = true;
    w->hash                     = 14695981039346656037ULL;
    w->ops                      = venue_codec_find("binance");
    const venue_codec_cfg_t cfg = {.feeds_max     = 4,
                                   .pending_parts = pending_parts,
                                   .sink          = {.ctx = w, .reserve = world_reserve, .commit = world_commit}};
    assert_non_null(w->ops);
    const size_t align = w->ops->align(), bytes = w->ops->footprint(&cfg);
    w->codec = aligned_alloc(align, (bytes + align - 1) / align * align);
    assert_non_null(w->codec);
    assert_ptr_equal(w->ops->create(w->codec, &cfg), w->codec);
    assert_int_equal(w->ops->feed_add(w->codec, ref), ERR_OK);
}

static void world_close(world_t *w)
{
    free(w->codec);
    free(w->side[0].level);
    free(w->side[1].level);
}

static err_t say_len(world_t *w, const char *text, size_t len, uint32_t instrument_id)
{
    char *exact = malloc(len > 0 ? len : 1);
    assert_non_null(exact);
    memcpy(exact, text, len);
    const md_frame_t frame = {.text = exact, .len = len, .ts_recv_ns = 777, .instrument_id = instrument_id};
    const err_t      err   = w->ops->decode(w->codec, &frame);
    free(exact);
    return err;
}

static err_t say(world_t *w, const char *text)
{
    return say_len(w, text, strlen(text), 1);
}

static const feed_stats_t *stats_of(const world_t *w)
{
    const feed_stats_t *s = w->ops->feed_stats(w->codec, 1);
    assert_non_null(s);
    assert_int_equal(s->diffs, s->diffs_applied + s->diffs_dropped + s->diffs_pending);
    assert_int_equal(s->rpt_seq, w->rpt_seq);
    return s;
}

static const feed_ref_t spot = {
    .instrument_id = 1, .kind = INSTRUMENT_SPOT, .px_exp = 2, .qty_exp = 3, .symbol = "ABC"};
static const feed_ref_t linear = {
    .instrument_id = 1, .kind = INSTRUMENT_LINEAR, .px_exp = 2, .qty_exp = 3, .symbol = "ABC"};
static const feed_ref_t inverse = {
    .instrument_id = 1, .kind = INSTRUMENT_INVERSE, .px_exp = 1, .qty_exp = 0, .symbol = "ABC_PERP"};

/* A diff in the venue's own key order. */
static const char *diff(const feed_ref_t *ref, uint64_t first, uint64_t last, uint64_t prev, const char *b,
                        const char *a)
{
    static char text[1 << 20];
    const bool  fut = ref->kind != INSTRUMENT_SPOT;
    char        lower[32], pu[32] = "", t[32] = "";
    for (size_t i = 0; i <= strlen(ref->symbol); i++) {
        lower[i] = (char)(ref->symbol[i] >= 'A' && ref->symbol[i] <= 'Z' ? ref->symbol[i] + 32 : ref->symbol[i]);
    }
    if (fut) {
        (void)snprintf(pu, sizeof pu, ",\"pu\":%" PRIu64, prev);
        (void)snprintf(t, sizeof t, ",\"T\":1723161257432");
    }
    (void)snprintf(text, sizeof text,
                   "{\"stream\":\"%s@depth@0ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1723161257440%s,\"s\":\"%s\"%s,"
                   "\"U\":%" PRIu64 ",\"u\":%" PRIu64 "%s,\"b\":[%s],\"a\":[%s]}}",
                   lower, t, ref->symbol, ref->kind == INSTRUMENT_INVERSE ? ",\"ps\":\"ABC\"" : "", first, last, pu, b,
                   a);
    return text;
}

static const char *snap(uint64_t id, const char *b, const char *a)
{
    static char text[1 << 20];
    (void)snprintf(text, sizeof text, "{\"lastUpdateId\":%" PRIu64 ",\"bids\":[%s],\"asks\":[%s]}", id, b, a);
    return text;
}

#define B1 "[\"10.00\",\"1.000\"]"
#define A1 "[\"11.00\",\"2.000\"]"

/* ---- the rule, by hand ------------------------------------------------------------------------------------------- */
static void test_spot_rule_edges(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, &spot, 0);
    assert_int_equal(stats_of(&w)->health, FEED_NONE);
    assert_int_equal(say(&w, diff(&spot, 1, 5, 0, B1, "")), ERR_OK);
    assert_int_equal(say(&w, diff(&spot, 6, 10, 0, B1, "")), ERR_OK);
    assert_int_equal(say(&w, diff(&spot, 11, 12, 0, B1, A1)), ERR_OK);
    assert_int_equal(w.books, 0);
    assert_int_equal(stats_of(&w)->diffs_pending, 3);
    assert_int_equal(say(&w, snap(10, B1, A1)), ERR_OK); /* u == L goes, U == L + 1 stays */
    const feed_stats_t *s = stats_of(&w);
    assert_int_equal(s->diffs_buffered, 3);
    assert_int_equal(s->diffs_dropped, 2);
    assert_int_equal(s->diffs_applied, 1);
    assert_int_equal(s->last_update_id, 12);
    assert_int_equal(s->health, FEED_LIVE);
    assert_int_equal(w.books, 2);
    assert_int_equal(w.last_book.venue_seq_first, 11);
    assert_int_equal(w.last_book.ts_event_ns, 1723161257440000000);
    assert_int_equal(w.last_book.ts_recv_ns, 777);
    assert_int_equal(say(&w, diff(&spot, 12, 12, 0, "", "")), ERR_OK); /* repeated */
    assert_int_equal(stats_of(&w)->diffs_dropped, 3);
    assert_int_equal(say(&w, diff(&spot, 13, 13, 0, "", "")), ERR_OK);
    assert_int_equal(stats_of(&w)->diffs_applied, 2);
    assert_int_equal(say(&w, diff(&spot, 15, 20, 0, B1, "")), ERR_GAP);
    assert_non_null(strstr(err_msg(), "binance: ABC: book diff 15..20 does not join on: ids 14..14 are missing"));
    assert_int_equal(w.last_state.reason, FEED_REASON_GAP);
    assert_int_equal(w.last_state.seq_from, 14);
    assert_int_equal(w.last_state.seq_to, 14);
    assert_int_equal(w.last_state.instrument_id, 1);
    assert_int_equal(w.last_state.ts_recv_ns, 777);
    assert_int_equal(stats_of(&w)->gaps, 1);
    assert_int_equal(stats_of(&w)->health, FEED_RECOVERING);
    assert_int_equal(say(&w, diff(&spot, 21, 21, 0, "", A1)), ERR_OK);
    assert_int_equal(say(&w, snap(13, B1, A1)), ERR_STATE); /* older than what waits */
    assert_non_null(strstr(err_msg(), "too old"));
    assert_int_equal(stats_of(&w)->snapshots_stale, 1);
    assert_int_equal(stats_of(&w)->diffs_pending, 2);
    assert_int_equal(say(&w, snap(14, B1, A1)), ERR_OK); /* the kept diffs 15..20 and 21 follow it */
    s = stats_of(&w);
    assert_int_equal(s->health, FEED_LIVE);
    assert_int_equal(s->last_update_id, 21);
    assert_int_equal(s->diffs_applied, 4);
    assert_int_equal(s->diffs_pending, 0);
    assert_int_equal(s->snapshots, 2);
    assert_int_equal(say(&w, diff(&spot, 21, 25, 0, "", "")), ERR_GAP); /* overlap: no id is known to be missing */
    assert_int_equal(w.last_state.seq_from, 0);
    assert_int_equal(w.last_state.seq_to, 0);
    assert_int_equal(say(&w, snap(30, B1, A1)), ERR_OK);
    assert_int_equal(say(&w, diff(&spot, 31, 31, 0, "", "")), ERR_OK);
    assert_int_equal(say(&w, diff(&spot, 0, 35, 0, "", "")), ERR_GAP); /* nothing lies before id 0 either */
    assert_int_equal(w.last_state.seq_from, 0);
    world_close(&w);
}

static void test_spot_first_diff_may_span_the_snapshot(void **state)
{
    (void)state;
    for (uint64_t first = 8; first <= 12; first++) {
        world_t w;
        world_open(&w, &spot, 0);
        assert_int_equal(say(&w, snap(10, B1, A1)), ERR_OK);
        const err_t err = say(&w, diff(&spot, first, 13, 0, B1, ""));
        assert_int_equal(err, first <= 11 ? ERR_OK : ERR_GAP);
        assert_int_equal(stats_of(&w)->diffs_applied, first <= 11);
        world_close(&w);
    }
}

static void test_futures_rule_edges(void **state)
{
    (void)state;
    const feed_ref_t *refs[] = {&linear, &inverse};
    for (int i = 0; i < 2; i++) {
        const feed_ref_t *ref = refs[i];
        const char       *b = i == 0 ? B1 : "[\"10.0\",\"1\"]", *a = i == 0 ? A1 : "[\"11.0\",\"2\"]";
        world_t           w;
        world_open(&w, ref, 0);
        assert_int_equal(say(&w, diff(ref, 1, 5, 0, b, "")), ERR_OK);
        assert_int_equal(say(&w, diff(ref, 8, 9, 5, b, "")), ERR_OK);
        assert_int_equal(say(&w, diff(ref, 10, 12, 9, b, a)), ERR_OK);
        assert_int_equal(say(&w, snap(12, b, a)), ERR_OK); /* u == L stays here */
        const feed_stats_t *s = stats_of(&w);
        assert_int_equal(s->diffs_dropped, 2);
        assert_int_equal(s->diffs_applied, 1);
        assert_int_equal(w.last_book.ts_event_ns, 1723161257432000000);  /* T before E */
        assert_int_equal(say(&w, diff(ref, 20, 25, 12, b, "")), ERR_OK); /* holes between ids are normal; pu joins */
        assert_int_equal(say(&w, diff(ref, 20, 25, 12, b, "")), ERR_OK); /* repeated */
        assert_int_equal(stats_of(&w)->diffs_dropped, 3);
        assert_int_equal(say(&w, diff(ref, 31, 33, 30, b, "")), ERR_GAP);
        assert_int_equal(w.last_state.seq_from, 26);
        assert_int_equal(w.last_state.seq_to, 30);
        assert_int_equal(say(&w, snap(29, b, a)), ERR_STATE); /* the kept diff begins at 31 and follows 30 */
        assert_int_equal(say(&w, snap(31, b, a)), ERR_OK);
        assert_int_equal(stats_of(&w)->last_update_id, 33);
        assert_int_equal(stats_of(&w)->health, FEED_LIVE);
        assert_int_equal(say(&w, diff(ref, 34, 36, 32, b, "")), ERR_GAP); /* pu behind the book */
        assert_int_equal(w.last_state.seq_from, 0);
        world_close(&w);
    }
}

static void test_snapshot_while_live(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, &spot, 0);
    assert_int_equal(say(&w, snap(10, B1, A1)), ERR_OK);
    assert_int_equal(say(&w, snap(10, "", "")), ERR_OK); /* not newer: not used */
    assert_int_equal(w.books, 1);
    assert_int_equal(stats_of(&w)->snapshots_stale, 1);
    assert_int_equal(say(&w, snap(15, "[\"9.00\",\"1\"]", "")), ERR_OK);
    assert_int_equal(w.books, 2);
    assert_int_equal(best_bid(&w).px, 900);
    assert_int_equal(say(&w, diff(&spot, 11, 15, 0, B1, "")), ERR_OK);
    assert_int_equal(stats_of(&w)->diffs_dropped, 1);
    assert_int_equal(say(&w, diff(&spot, 16, 16, 0, B1, "")), ERR_OK);
    assert_int_equal(stats_of(&w)->diffs_applied, 1);
    assert_int_equal(w.states, 0);
    world_close(&w);
}

static void test_gap_among_kept_diffs(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, &spot, 0);
    assert_int_equal(say(&w, diff(&spot, 1, 5, 0, B1, "")), ERR_OK);
    assert_int_equal(say(&w, diff(&spot, 8, 9, 0, B1, "")), ERR_OK);
    assert_int_equal(say(&w, snap(3, B1, A1)), ERR_GAP); /* 1..5 follows it, 8..9 does not follow that */
    assert_int_equal(w.books, 2);
    assert_int_equal(w.states, 1);
    assert_int_equal(w.last_state.seq_from, 6);
    assert_int_equal(w.last_state.seq_to, 7);
    assert_int_equal(stats_of(&w)->diffs_pending, 1);
    assert_int_equal(say(&w, snap(7, B1, A1)), ERR_OK);
    assert_int_equal(stats_of(&w)->last_update_id, 9);
    world_close(&w);
}

static void lose(world_t *w, uint32_t instrument_id, feed_reason_t reason)
{
    w->ops->lost(w->codec, instrument_id, reason, 888);
}

/* What someone else knows breaks a live feed once; then a snapshot heals it, also one of the very same id. */
static void test_lost_breaks_what_was_live(void **state)
{
    (void)state;
    const feed_ref_t *refs[] = {&spot, &linear};
    for (int i = 0; i < 2; i++) {
        const feed_ref_t *ref = refs[i];
        world_t           w;
        world_open(&w, ref, 0);
        lose(&w, 1, FEED_REASON_LOST); /* waits for its first snapshot anyhow */
        assert_int_equal(w.states, 0);
        assert_int_equal(stats_of(&w)->health, FEED_NONE);
        assert_int_equal(say(&w, snap(10, B1, A1)), ERR_OK);
        lose(&w, 2, FEED_REASON_LOST); /* another's */
        assert_int_equal(w.states, 0);
        lose(&w, 1, FEED_REASON_CROSSED); /* right after a snapshot */
        assert_int_equal(w.states, 1);
        assert_int_equal(w.last_state.instrument_id, 1);
        assert_int_equal(w.last_state.reason, FEED_REASON_CROSSED);
        assert_int_equal(w.last_state.seq_from, 0);
        assert_int_equal(w.last_state.seq_to, 0);
        assert_int_equal(w.last_state.ts_recv_ns, 888);
        assert_int_equal(stats_of(&w)->health, FEED_RECOVERING);
        lose(&w, 0, FEED_REASON_LOST); /* said already */
        assert_int_equal(w.states, 1);
        assert_int_equal(say(&w, snap(10, B1, A1)), ERR_OK);
        assert_int_equal(stats_of(&w)->health, FEED_LIVE);
        assert_int_equal(stats_of(&w)->snapshots, 2);
        assert_int_equal(say(&w, diff(ref, 11, 12, 10, B1, "")), ERR_OK);
        assert_int_equal(stats_of(&w)->last_update_id, 12);
        lose(&w, 0, FEED_REASON_LOST); /* in the middle of diffs; 0 = every feed */
        assert_int_equal(w.states, 2);
        assert_int_equal(w.last_state.reason, FEED_REASON_LOST);
        assert_int_equal(say(&w, diff(ref, 13, 14, 12, "", A1)), ERR_OK); /* is kept, also by a feed that lost */
        assert_int_equal(stats_of(&w)->diffs_pending, 1);
        lose(&w, 1, FEED_REASON_LOST);
        assert_int_equal(stats_of(&w)->diffs_pending, 1);
        assert_int_equal(say(&w, snap(11, B1, A1)), ERR_STATE); /* 13..14 does not follow it */
        assert_int_equal(say(&w, snap(12, B1, A1)), ERR_OK);    /* it does follow the id of the broken book */
        assert_int_equal(stats_of(&w)->last_update_id, 14);
        assert_int_equal(stats_of(&w)->diffs_applied, 2);
        assert_int_equal(stats_of(&w)->health, FEED_LIVE);
        assert_int_equal(say(&w, snap(14, B1, A1)), ERR_OK); /* while it lives the same id is nothing new */
        assert_int_equal(stats_of(&w)->snapshots_stale, 2);
        assert_int_equal(stats_of(&w)->gaps, 0);
        assert_int_equal(w.states, 2);
        world_close(&w);
    }
}

static void test_lost_by_feed_or_all(void **state)
{
    (void)state;
    world_t                 w   = {.broken = true, .ops = venue_codec_find("binance")};
    const venue_codec_cfg_t cfg = {.feeds_max = 3,
                                   .sink      = {.ctx = &w, .reserve = world_reserve, .commit = world_commit}};
    w.codec                     = w.ops->create(aligned_alloc(64, (w.ops->footprint(&cfg) + 63) / 64 * 64), &cfg);
    assert_non_null(w.codec);
    for (uint32_t id = 1; id <= 3; id++) {
        feed_ref_t ref    = spot;
        ref.instrument_id = id;
        ref.symbol[0]     = (char)('A' + id);
        assert_int_equal(w.ops->feed_add(w.codec, &ref), ERR_OK);
    }
    for (uint32_t id = 1; id <= 2; id++) { /* 3 never had a snapshot */
        w.rpt_seq = 0;
        assert_int_equal(say_len(&w, snap(7, B1, A1), strlen(snap(7, B1, A1)), id), ERR_OK);
    }
    lose(&w, 2, FEED_REASON_LOST);
    assert_int_equal(w.states, 1);
    assert_int_equal(w.last_state.instrument_id, 2);
    assert_int_equal(w.ops->feed_stats(w.codec, 1)->health, FEED_LIVE);
    lose(&w, 0, FEED_REASON_LOST);
    assert_int_equal(w.states, 2);
    assert_int_equal(w.last_state.instrument_id, 1);
    assert_int_equal(w.ops->feed_stats(w.codec, 1)->health, FEED_RECOVERING);
    assert_int_equal(w.ops->feed_stats(w.codec, 2)->health, FEED_RECOVERING);
    assert_int_equal(w.ops->feed_stats(w.codec, 3)->health, FEED_NONE);
    lose(&w, 9, FEED_REASON_LOST); /* nobody */
    assert_int_equal(w.states, 2);
    world_close(&w);
}

static void levels_text(char *out, size_t cap, uint32_t from, uint32_t count)
{
    size_t len = 0;
    out[0]     = 0;
    for (uint32_t i = 0; i < count; i++) {
        len += (size_t)snprintf(out + len, cap - len, "%s[\"%u.50\",\"%u.125\"]", i > 0 ? "," : "", from + i, i + 1);
    }
}

/* Room for 4 parts: the oldest whole diffs go, and a snapshot from before them is refused. */
static void test_kept_ring_overflow(void **state)
{
    (void)state;
    static char many[1 << 16];
    world_t     w;
    world_open(&w, &spot, 4);
    levels_text(many, sizeof many, 100, 100); /* 2 parts */
    assert_int_equal(say(&w, diff(&spot, 1, 1, 0, many, "")), ERR_OK);
    assert_int_equal(say(&w, diff(&spot, 2, 2, 0, B1, "")), ERR_OK);
    assert_int_equal(say(&w, diff(&spot, 3, 3, 0, B1, "")), ERR_OK);
    assert_int_equal(stats_of(&w)->diffs_pending, 3);
    assert_int_equal(say(&w, diff(&spot, 4, 4, 0, B1, "")), ERR_OK); /* diff 1 goes, with both parts */
    assert_int_equal(stats_of(&w)->diffs_pending, 3);
    assert_int_equal(stats_of(&w)->diffs_dropped, 1);
    assert_int_equal(say(&w, diff(&spot, 5, 5, 0, B1, "")), ERR_OK);
    assert_int_equal(stats_of(&w)->diffs_pending, 4);
    assert_int_equal(say(&w, snap(0, B1, A1)), ERR_STATE);
    levels_text(many, sizeof many, 100, 300); /* 5 parts: more than the whole ring */
    assert_int_equal(say(&w, diff(&spot, 6, 6, 0, many, "")), ERR_OK);
    assert_int_equal(stats_of(&w)->diffs_pending, 0);
    assert_int_equal(stats_of(&w)->diffs_dropped, 6);
    assert_int_equal(say(&w, diff(&spot, 7, 7, 0, B1, "")), ERR_OK);
    assert_int_equal(say(&w, snap(5, B1, A1)), ERR_STATE);
    assert_int_equal(say(&w, snap(6, B1, A1)), ERR_OK);
    assert_int_equal(stats_of(&w)->last_update_id, 7);
    assert_int_equal(stats_of(&w)->diffs_dropped, 6);
    world_close(&w);
}

static void test_parts_at_every_size(void **state)
{
    (void)state;
    static char bids[1 << 16], asks[1 << 16];
    for (uint32_t nb = 0; nb <= 200; nb += nb > 60 && nb < 68 ? 1 : 13) {
        for (uint32_t na = 0; na <= 200; na += (na > 60 && na < 68) || (na > 124 && na < 130) ? 1 : 17) {
            world_t w;
            world_open(&w, &linear, 0);
            levels_text(bids, sizeof bids, 1000, nb);
            levels_text(asks, sizeof asks, 5000, na);
            assert_int_equal(say(&w, snap(10, "", "")), ERR_OK);
            assert_int_equal(w.last_book.flags, BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST | BOOK_FLAG_LAST);
            const uint64_t parts = w.parts;
            assert_int_equal(say(&w, diff(&linear, 10, 12, 9, bids, asks)), ERR_OK);
            const uint32_t n = nb + na;
            assert_int_equal(w.parts - parts, n == 0 ? 1 : (n + 63) / 64);
            assert_int_equal(w.side[0].count, nb);
            assert_int_equal(w.side[1].count, na);
            if (nb > 0) {
                assert_int_equal(best_bid(&w).px, 100000 + 100 * (int64_t)(nb - 1) + 50);
                assert_int_equal(best_bid(&w).qty, 1000 * (int64_t)nb + 125);
            }
            if (na > 0) {
                assert_int_equal(best_ask(&w).px, 500050);
                assert_int_equal(best_ask(&w).qty, 1125);
            }
            world_close(&w);
        }
    }
}

/* ---- the rule, at random ----------------------------------------------------------------------------------------- */
#define IDS 3000
#define PX 40

/* The venue: id i sets one level (or nothing); truth[i] is the book after it, as quantities by price. */
static int64_t truth[IDS + 1][2][PX];
static bool    used[IDS + 1];

static void truth_make(bool holes)
{
    memset(truth[0], 0, sizeof truth[0]);
    for (int i = 1; i <= IDS; i++) {
        memcpy(truth[i], truth[i - 1], sizeof truth[i]);
        used[i] = !holes || rnd() % 4 != 0;
        if (used[i]) {
            truth[i][rnd() % 2][rnd() % PX] = (int64_t)(rnd() % 4);
        }
    }
}

/* Levels that differ between two ids, or with from < 0 all levels of id to; in random order. */
static void truth_text(char *out, size_t cap, int from, int to, int side)
{
    size_t    len   = 0;
    const int start = (int)(rnd() % PX);
    out[0]          = 0;
    for (int k = 0; k < PX; k++) {
        const int     p      = (start + k) % PX;
        const int64_t qty    = truth[to][side][p];
        bool          say_it = from < 0 && qty != 0;
        for (int i = from < 0 ? to : from; i < to; i++) { /* also levels that moved and came back */
            say_it |= truth[i][side][p] != truth[i + 1][side][p];
        }
        if (say_it) {
            len += (size_t)snprintf(out + len, cap - len, "%s[\"%d.00\",\"%d.000\"]", len > 0 ? "," : "",
                                    p + 1 + side * PX, (int)qty);
        }
    }
}

static void assert_truth(const world_t *w, uint64_t id)
{
    for (int side = 0; side < 2; side++) {
        uint32_t n = 0;
        for (int p = 0; p < PX; p++) {
            if (truth[id][side][p] != 0) {
                assert_true(n < w->side[side].count);
                assert_int_equal(w->side[side].level[n].px, 100 * (p + 1 + side * PX));
                assert_int_equal(w->side[side].level[n].qty, 1000 * truth[id][side][p]);
                n++;
            }
        }
        assert_int_equal(w->side[side].count, n);
    }
}

static void random_stream(const feed_ref_t *ref, uint32_t *live, uint32_t *gaps)
{
    static char b[1 << 16], a[1 << 16];
    world_t     w;
    const bool  fut = ref->kind != INSTRUMENT_SPOT;
    truth_make(fut);
    world_open(&w, ref, rnd() % 2 == 0 ? 0 : 8);
    int at = (int)(rnd() % 20), prev = at;
    while (at < IDS - 20) {
        int first = at + 1, last = at + 1 + (int)(rnd() % 12);
        while (fut && !used[first] && first < last) {
            first++; /* futures diffs begin at a change of their own symbol */
        }
        truth_text(b, sizeof b, at, last, 0);
        truth_text(a, sizeof a, at, last, 1);
        const uint64_t fate = rnd() % 40;
        if (fate != 0) { /* 0: lost */
            const err_t err = say(&w, diff(ref, (uint64_t)first, (uint64_t)last, (uint64_t)prev, b, a));
            assert_true(err == ERR_OK || err == ERR_GAP);
            if (fate == 1) { /* repeated */
                const uint64_t seq      = w.rpt_seq;
                const bool     was_live = stats_of(&w)->health == FEED_LIVE;
                assert_int_equal(say(&w, diff(ref, (uint64_t)first, (uint64_t)last, (uint64_t)prev, b, a)), ERR_OK);
                assert_true(!was_live || seq == w.rpt_seq);
            }
        }
        prev = at = last;
        if (rnd() % 80 == 0) {
            const uint64_t states = w.states;
            const bool     alive  = stats_of(&w)->health == FEED_LIVE;
            lose(&w, (uint32_t)(rnd() % 2), FEED_REASON_LOST);
            assert_int_equal(w.states, states + alive);
        }
        const bool want = stats_of(&w)->health != FEED_LIVE ? rnd() % 6 == 0 : rnd() % 60 == 0;
        if (want) { /* a reply that was made now, or a while ago, or is ahead of the stream */
            const int id = at - 15 + (int)(rnd() % 25);
            if (id >= 0) {
                truth_text(b, sizeof b, -1, id, 0);
                truth_text(a, sizeof a, -1, id, 1);
                const err_t err = say(&w, snap((uint64_t)id, b, a));
                assert_true(err == ERR_OK || err == ERR_STATE || err == ERR_GAP);
            }
        }
        const feed_stats_t *s = stats_of(&w);
        assert_int_equal(s->health == FEED_LIVE, !w.broken);
        if (s->health == FEED_LIVE) {
            assert_truth(&w, s->last_update_id);
            (*live)++;
        }
    }
    *gaps += (uint32_t)stats_of(&w)->gaps;
    world_close(&w);
}

static void test_live_book_is_the_venues_book(void **state)
{
    (void)state;
    uint32_t live[2] = {0, 0}, gaps[2] = {0, 0};
    for (int round = 0; round < 60; round++) {
        random_stream(round % 2 == 0 ? &spot : &linear, &live[round % 2], &gaps[round % 2]);
    }
    for (int i = 0; i < 2; i++) { /* the test must have seen both weathers */
        assert_true(live[i] > 2000);
        assert_true(gaps[i] > 100);
    }
}

/* ---- text -------------------------------------------------------------------------------------------------------- */
#define TOP_SPOT                                                                                                       \
    "{\"stream\":\"abc@bookTicker\",\"data\":{\"u\":7,\"s\":\"ABC\",\"b\":\"10.00\",\"B\":\"1.5\",\"a\":\"11.00\","    \
    "\"A\":\"2\"}}"
#define TOP_LIN                                                                                                        \
    "{\"stream\":\"abc@bookTicker\",\"data\":{\"e\":\"bookTicker\",\"u\":7,\"s\":\"ABC\",\"b\":\"10.00\",\"B\":\"1."   \
    "5\","                                                                                                             \
    "\"a\":\"11.00\",\"A\":\"2\",\"T\":5,\"E\":6}}"
#define TOP_INV                                                                                                        \
    "{\"stream\":\"abc_perp@bookTicker\",\"data\":{\"u\":7,\"e\":\"bookTicker\",\"s\":\"ABC_PERP\",\"ps\":\"ABC\","    \
    "\"b\":"                                                                                                           \
    "\"10.0\",\"B\":\"1\",\"a\":\"11.0\",\"A\":\"2\",\"T\":5,\"E\":6}}"
#define TRADE_SPOT                                                                                                     \
    "{\"stream\":\"abc@trade\",\"data\":{\"e\":\"trade\",\"E\":6,\"s\":\"ABC\",\"t\":40,\"p\":\"10.25\",\"q\":\"0."    \
    "125\","                                                                                                           \
    "\"T\":5,\"m\":true,\"M\":true}}"
#define TRADE_LIN                                                                                                      \
    "{\"stream\":\"abc@trade\",\"data\":{\"e\":\"trade\",\"E\":6,\"T\":5,\"s\":\"ABC\",\"t\":40,\"p\":\"10.25\","      \
    "\"q\":"                                                                                                           \
    "\"0.125\",\"X\":\"MARKET\",\"m\":false}}"

static void test_top_and_trade_values(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, &spot, 0);
    assert_int_equal(say(&w, TOP_SPOT), ERR_OK);
    const top_t top = {.instrument_id = 1,
                       .venue_seq     = 7,
                       .bid_px        = 1000,
                       .bid_qty       = 1500,
                       .ask_px        = 1100,
                       .ask_qty       = 2000,
                       .ts_recv_ns    = 777};
    assert_memory_equal(&w.last_top, &top, sizeof top);
    assert_int_equal(say(&w, TRADE_SPOT), ERR_OK);
    const trade_t trade = {.instrument_id  = 1,
                           .aggressor_side = SIDE_SELL,
                           .trade_id       = 40,
                           .px             = 1025,
                           .qty            = 125,
                           .ts_event_ns    = 5000000,
                           .ts_recv_ns     = 777};
    assert_memory_equal(&w.last_trade, &trade, sizeof trade);
    assert_int_equal(
        say(&w, "{\"stream\":\"abc@bookTicker\",\"data\":{\"u\":8,\"s\":\"ABC\",\"b\":\"0.00\",\"B\":\"0\",\"a\":"
                "\"11.00\",\"A\":\"0.000\"}}"),
        ERR_OK);
    assert_int_equal(w.last_top.bid_px, 0);
    assert_int_equal(w.last_top.ask_px, 0); /* an empty side has no price */
    world_close(&w);
    world_open(&w, &linear, 0);
    assert_int_equal(say(&w, TOP_LIN), ERR_OK);
    assert_int_equal(w.last_top.ts_event_ns, 5000000);
    assert_int_equal(say(&w, TRADE_LIN), ERR_OK);
    assert_int_equal(w.last_trade.aggressor_side, SIDE_BUY);
    assert_int_equal(w.last_trade.ts_event_ns, 5000000);
    world_close(&w);
    world_open(&w, &inverse, 0);
    assert_int_equal(say(&w, TOP_INV), ERR_OK);
    assert_int_equal(w.last_top.bid_px, 100);
    world_close(&w);
}

static const char *trade_text(uint64_t id, const char *x)
{
    static char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"stream\":\"abc@trade\",\"data\":{\"e\":\"trade\",\"E\":6,\"T\":5,\"s\":\"ABC\",\"t\":%" PRIu64
                   ",\"p\":\"10.25\",\"q\":\"0.125\",\"X\":\"%s\",\"m\":false}}",
                   id, x);
    return text;
}

static void test_trade_ids(void **state)
{
    (void)state;
    static const struct {
        uint64_t    id;
        const char *x;
        uint64_t    trades, gaps, repeated, off_book;
    } steps[] = {{100, "MARKET", 1, 0, 0, 0}, {101, "MARKET", 2, 0, 0, 0},         {101, "MARKET", 2, 0, 1, 0},
                 {99, "MARKET", 2, 0, 2, 0},  {102, "INSURANCE_FUND", 2, 0, 2, 1}, {103, "MARKET", 3, 0, 2, 1},
                 {105, "MARKET", 4, 1, 2, 1}, {106, "MARKET", 5, 1, 2, 1}};
    world_t w;
    world_open(&w, &linear, 0);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_int_equal(say(&w, trade_text(steps[i].id, steps[i].x)), ERR_OK);
        const feed_stats_t *s = stats_of(&w);
        assert_int_equal(s->trades, steps[i].trades);
        assert_int_equal(s->trade_gaps, steps[i].gaps);
        assert_int_equal(s->trades_repeated, steps[i].repeated);
        assert_int_equal(s->trades_off_book, steps[i].off_book);
        assert_int_equal(w.trades, s->trades);
    }
    world_close(&w);
}

/* The members of an object (no nesting below), shuffled, with strangers and white space between. */
static size_t shuffle(char *out, const char *const *members, int count)
{
    static const char *const strangers[] = {"\"st\":1", "\"zz\":{\"u\":[1,{\"b\":null}]}", "\"\":\"\\\"\"",
                                            "\"bb\":-1.5e3"};
    const char              *all[24];
    int                      n = 0;
    for (int i = 0; i < count; i++) {
        all[n++] = members[i];
    }
    for (int i = 0; i < 4; i++) {
        if (rnd() % 2 == 0) {
            all[n++] = strangers[i];
        }
    }
    for (int i = n - 1; i > 0; i--) {
        const int   k = (int)(rnd() % (uint64_t)(i + 1));
        const char *t = all[i];
        all[i]        = all[k];
        all[k]        = t;
    }
    size_t len = 0;
    out[len++] = '{';
    for (int i = 0; i < n; i++) {
        static const char *const space[] = {"", "", " ", "\n\t", "\r "};
        len += (size_t)sprintf(out + len, "%s%s%s%s", i > 0 ? "," : "", space[rnd() % 5], all[i], space[rnd() % 5]);
    }
    out[len++] = '}';
    out[len]   = 0;
    return len;
}

static void test_any_order_of_keys_means_the_same(void **state)
{
    (void)state;
    static const char *const m_diff[] = {"\"e\":\"depthUpdate\"",
                                         "\"E\":1723161257440",
                                         "\"T\":1723161257432",
                                         "\"s\":\"ABC\"",
                                         "\"U\":10",
                                         "\"u\":12",
                                         "\"pu\":9",
                                         "\"b\":[" B1 ",[\"9\",\"0\"]]",
                                         "\"a\":[" A1 "]"};
    static const char *const m_top[]  = {"\"e\":\"bookTicker\"", "\"u\":7",       "\"s\":\"ABC\"",
                                         "\"b\":\"10.00\"",      "\"B\":\"1.5\"", "\"a\":\"11.00\"",
                                         "\"A\":\"2\"",          "\"T\":5",       "\"E\":6"};
    static const char *const m_deal[] = {"\"e\":\"trade\"", "\"E\":6",          "\"T\":5",
                                         "\"s\":\"ABC\"",   "\"t\":40",         "\"p\":\"10.25\"",
                                         "\"q\":\"0.125\"", "\"X\":\"MARKET\"", "\"m\":false"};
    static const char *const m_snap[] = {"\"lastUpdateId\":10", "\"bids\":[" B1 "]", "\"asks\":[" A1 "]",
                                         "\"symbol\":\"ABC\"",  "\"E\":6",           "\"T\":5"};
    world_t                  straight;
    world_open(&straight, &linear, 0);
    assert_int_equal(say(&straight, "{\"lastUpdateId\":10,\"bids\":[" B1 "],\"asks\":[" A1 "],\"E\":6,\"T\":5}"),
                     ERR_OK);
    assert_int_equal(say(&straight, diff(&linear, 10, 12, 9, B1 ",[\"9\",\"0\"]", A1)), ERR_OK);
    assert_int_equal(say(&straight, TOP_LIN), ERR_OK);
    assert_int_equal(say(&straight, TRADE_LIN), ERR_OK);
    for (int round = 0; round < 500; round++) {
        static char data[4096], stream[4096 + 64], text[8192];
        world_t     w;
        world_open(&w, &linear, 0);
        (void)shuffle(text, m_snap, 6);
        assert_int_equal(say_len(&w, text, strlen(text), 0), ERR_OK);
        for (int k = 0; k < 3; k++) {
            static const char *const names[] = {"\"stream\":\"abc@depth@0ms\"", "\"stream\":\"abc@bookTicker\"",
                                                "\"stream\":\"abc@trade\""};
            (void)shuffle(data, k == 0 ? m_diff : k == 1 ? m_top : m_deal, 9);
            (void)sprintf(stream, "\"data\":%s", data);
            (void)shuffle(text, (const char *const[]){names[k], stream}, 2);
            assert_int_equal(say(&w, text), ERR_OK);
        }
        assert_int_equal(w.hash, straight.hash);
        world_close(&w);
    }
    world_close(&straight);
}

static void test_key_twice_missing_or_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{\"stream\":\"abc@bookTicker\",\"data\":{\"u\":7,\"u\":7,\"s\":\"ABC\",\"b\":\"1\",\"B\":\"1\",\"a\":\"2\","
         "\"A\":\"2\"}}",
         "key \"u\" comes twice"},
        {"{\"stream\":\"abc@bookTicker\",\"data\":{\"s\":\"ABC\",\"b\":\"1\",\"B\":\"1\",\"a\":\"2\",\"A\":\"2\"}}",
         "key \"u\" is missing"},
        {"{\"stream\":\"abc@bookTicker\",\"data\":{\"u\":7,\"s\":\"ABD\",\"b\":\"1\",\"B\":\"1\",\"a\":\"2\",\"A\":"
         "\"2\"}}",
         "key \"s\" is \"ABD\" and not \"ABC\""},
        {"{\"stream\":\"abc@bookTicker\",\"data\":{\"e\":\"trade\",\"u\":7,\"s\":\"ABC\",\"b\":\"1\",\"B\":\"1\",\"a\":"
         "\"2\",\"A\":\"2\"}}",
         "key \"e\" is \"trade\""},
        {"{\"stream\":\"abc@bookTicker\",\"data\":{\"u\":\"x\",\"s\":\"ABC\",\"b\":\"1\",\"B\":\"1\",\"a\":\"2\",\"A\":"
         "\"2\"}}",
         "key \"u\""},
        {"{\"stream\":\"abc@bookTicker\",\"data\":{\"u\":7,\"s\":\"ABC\",\"b\":\"1\",\"B\":\"-1\",\"a\":\"2\",\"A\":"
         "\"2\"}}",
         "key \"b\" or its quantity is negative"},
        {"{\"stream\":\"abc@bookTicker\",\"data\":[]}", "key \"data\""},
        {"{\"stream\":\"abc@bookTicker\",\"data\":{},\"data\":{}}", "key \"data\" comes twice"},
        {"{\"stream\":\"abc@trade\",\"data\":{\"e\":\"trade\",\"E\":6,\"s\":\"ABC\",\"t\":4,\"p\":\"1\",\"q\":\"1\","
         "\"T\":5}}",
         "key \"m\" is missing"},
        {"{\"stream\":\"abc@trade\",\"data\":{\"e\":\"trade\",\"E\":6,\"s\":\"ABC\",\"t\":4,\"p\":\"0\",\"q\":\"1\","
         "\"T\":5,\"m\":true}}",
         "key \"p\" of a trade must be positive"},
        {"{\"stream\":\"abc@trade\",\"data\":{\"e\":\"trade\",\"E\":6,\"s\":\"ABC\",\"t\":4,\"p\":\"1\",\"q\":\"1\","
         "\"T\":5,\"m\":1}}",
         "key \"m\""},
        {"{\"lastUpdateId\":5,\"bids\":[]}", "key \"asks\" is missing"},
        {"{\"lastUpdateId\":5,\"bids\":[[\"0\",\"1\"]],\"asks\":[]}",
         "key \"bids\" holds a price that is not positive"},
    };
    world_t w;
    world_open(&w, &spot, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(say(&w, cases[i].text), ERR_PARSE);
        if (strstr(err_msg(), cases[i].says) == NULL) {
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err_msg(), cases[i].says);
        }
        assert_non_null(strstr(err_msg(), "binance: ABC: "));
        assert_int_equal(stats_of(&w)->garbled, i + 1);
    }
    assert_int_equal(w.parts + w.tops + w.trades + w.states, 0);
    world_close(&w);
}

static void test_market_must_be_the_declared_one(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, &spot, 0);
    assert_int_equal(say(&w, diff(&linear, 1, 2, 0, B1, "")), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "key \"pu\" is there, but the feed was declared as spot"));
    world_close(&w);
    world_open(&w, &linear, 0);
    assert_int_equal(say(&w, diff(&spot, 1, 2, 0, B1, "")), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "key \"pu\" is missing"));
    world_close(&w);
}

/* Cut anywhere, a frame is refused. From where its stream can be read its book is broken too, and heals by a snapshot.
 */
static void test_frame_cut_at_every_byte(void **state)
{
    (void)state;
    static char many[1 << 16];
    levels_text(many, sizeof many, 20, 90);
    const feed_ref_t *refs[] = {&spot, &linear};
    for (int r = 0; r < 2; r++) {
        const char  *whole  = strdup(diff(refs[r], 10, 12, 9, many, A1));
        const size_t all    = strlen(whole);
        const size_t stream = strlen("{\"stream\":\"abc@depth@0ms\"");
        for (size_t cut = 0; cut < all; cut++) {
            world_t w;
            world_open(&w, refs[r], 0);
            assert_int_equal(say(&w, snap(r == 0 ? 9 : 10, "", "")), ERR_OK);
            const err_t err = say_len(&w, whole, cut, 1);
            assert_true(err == ERR_TRUNCATED || err == ERR_PARSE);
            assert_int_equal(stats_of(&w)->diffs, 0);
            if (cut >= stream + 1) {
                assert_int_equal(w.states, 1);
                assert_int_equal(w.last_state.reason, FEED_REASON_GARBLED);
                assert_int_equal(stats_of(&w)->garbled, 1);
            } else if (cut < stream) {
                assert_int_equal(w.states, 0);
                assert_int_equal(w.ops->stats(w.codec)->unassigned, 1);
            }
            assert_int_equal(say(&w, snap(20, B1, A1)), ERR_OK);
            assert_false(w.broken);
            world_close(&w);
        }
        free((void *)(uintptr_t)whole);
    }
}

/* A fault behind the first 64 levels: FIRST is out already, FEED_STATE takes the place of LAST. */
static void test_fault_after_the_first_part(void **state)
{
    (void)state;
    static char many[1 << 16];
    levels_text(many, sizeof many, 20, 90);
    const size_t len = strlen(many);
    static const struct {
        const char   *bad;
        err_t         err;
        feed_reason_t reason;
        const char   *says;
    } cases[] = {{",[\"1.001\",\"1\"]", ERR_SCALE, FEED_REASON_SCALE, "key \"b\""},
                 {",[\"1\",\"1.0001\"]", ERR_SCALE, FEED_REASON_SCALE, "key \"b\""},
                 {",[\"99999999999999999999\",\"1\"]", ERR_RANGE, FEED_REASON_SCALE, "key \"b\""},
                 {",[\"1\",\"-1\"]", ERR_PARSE, FEED_REASON_GARBLED, "key \"b\" holds a price"},
                 {",[\"-1\",\"1\"]", ERR_PARSE, FEED_REASON_GARBLED, "key \"b\" holds a price"},
                 {",[\"1\"]", ERR_PARSE, FEED_REASON_GARBLED, "key \"b\""},
                 {",[\"x\",\"1\"]", ERR_PARSE, FEED_REASON_GARBLED, "key \"b\""},
                 {",7", ERR_PARSE, FEED_REASON_GARBLED, "key \"b\""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int kept = 0; kept < 2; kept++) {
            world_t w;
            world_open(&w, &spot, 0);
            if (!kept) {
                assert_int_equal(say(&w, snap(9, B1, A1)), ERR_OK);
            }
            strcpy(many + len, cases[i].bad);
            assert_int_equal(say(&w, diff(&spot, 10, 12, 0, many, A1)), cases[i].err);
            assert_non_null(strstr(err_msg(), cases[i].says));
            assert_int_equal(w.states, !kept);
            if (!kept) {
                assert_int_equal(w.last_state.reason, cases[i].reason);
                assert_int_equal(w.last_state.seq_from, 10);
                assert_int_equal(w.last_state.seq_to, 12);
            }
            assert_int_equal(stats_of(&w)->off_scale, cases[i].reason == FEED_REASON_SCALE);
            assert_int_equal(stats_of(&w)->garbled, cases[i].reason != FEED_REASON_SCALE);
            assert_int_equal(stats_of(&w)->diffs_pending, 0);
            assert_int_equal(say(&w, snap(12, B1, A1)), ERR_OK);
            assert_int_equal(say(&w, diff(&spot, 13, 13, 0, B1, "")), ERR_OK);
            assert_int_equal(stats_of(&w)->health, FEED_LIVE);
            world_close(&w);
        }
    }
    world_t w; /* a snapshot that breaks off has already cleared the reader's book */
    world_open(&w, &spot, 0);
    strcpy(many + len, ",[\"1.001\",\"1\"]");
    assert_int_equal(say(&w, snap(9, many, "")), ERR_SCALE);
    assert_int_equal(w.states, 1);
    assert_int_equal(stats_of(&w)->health, FEED_RECOVERING);
    assert_int_equal(say(&w, snap(9, "[\"1.001\",\"1\"]", "")), ERR_SCALE);
    assert_int_equal(w.states, 1);
    assert_int_equal(stats_of(&w)->snapshots, 0);
    world_close(&w);
}

static void test_ids_and_times_out_of_range(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, &spot, 0);
    assert_int_equal(say(&w, snap(9, B1, A1)), ERR_OK);
    assert_int_equal(say(&w, diff(&spot, 12, 11, 0, B1, "")), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "begins at id 12 and ends before it"));
    assert_int_equal(w.states, 1);
    assert_int_equal(
        say(&w,
            "{\"stream\":\"abc@trade\",\"data\":{\"e\":\"trade\",\"E\":6,\"s\":\"ABC\",\"t\":40,\"p\":\"10.25\",\"q\":"
            "\"0.125\",\"T\":9223372036855,\"m\":true,\"M\":true}}"),
        ERR_RANGE);
    assert_int_equal(
        say(&w,
            "{\"stream\":\"abc@trade\",\"data\":{\"e\":\"trade\",\"E\":6,\"s\":\"ABC\",\"t\":40,\"p\":\"10.25\",\"q\":"
            "\"0.125\",\"T\":9223372036854,\"m\":true,\"M\":true}}"),
        ERR_OK);
    world_close(&w);
}

static void test_what_is_not_ours(void **state)
{
    (void)state;
    static const char *const ignored[]     = {"{\"stream\":\"abc@aggTrade\",\"data\":{\"e\":\"aggTrade\",\"a\":1}}",
                                              "{\"stream\":\"abc@kline_1m\",\"data\":{\"k\":{}}}",
                                              "{\"stream\":\"abc@depth5\",\"data\":{\"lastUpdateId\":1}}",
                                              "{\"stream\":\"abc@depth20@100ms\",\"data\":{}}",
                                              "{\"stream\":\"xyz@trade\",\"data\":{}}",
                                              "{\"stream\":\"!serverShutdown\",\"data\":{\"E\":1}}",
                                              "{\"stream\":\"abc@forceOrder\",\"data\":{\"o\":{}}}",
                                              "{\"data\":null,\"stream\":\"abc@ticker\"}"};
    static const char *const unsupported[] = {"{\"channel\":\"l2Book\",\"data\":{}}", "{\"result\":null,\"id\":1}",
                                              "{}", "{\"stream\":\"abc@trade\"}"};
    world_t                  w;
    world_open(&w, &spot, 0);
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        assert_int_equal(say(&w, ignored[i]), ERR_OK);
        assert_int_equal(w.ops->stats(w.codec)->ignored, i + 1);
    }
    assert_int_equal(say(&w, "{\"stream\":\"abc@aggTrade\",\"data\":{\"a\":01}}"), ERR_PARSE); /* skipped, not unread */
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
        assert_int_equal(say(&w, unsupported[i]), ERR_UNSUPPORTED);
    }
    assert_int_equal(say(&w, "[]"), ERR_PARSE);
    assert_int_equal(say_len(&w, "", 0, 0), ERR_TRUNCATED);
    const char *nameless = snap(5, "", "");
    assert_int_equal(say_len(&w, nameless, strlen(nameless), 0), ERR_NOT_FOUND);
    assert_int_equal(say_len(&w, nameless, strlen(nameless), 2), ERR_NOT_FOUND);
    assert_int_equal(say(&w, "{\"lastUpdateId\":5,\"bids\":[],\"asks\":[],\"asks\":[]}"), ERR_PARSE);
    assert_non_null(strstr(err_msg(), "binance: key \"asks\" comes twice"));
    assert_int_equal(say(&w, "{\"lastUpdateId\":5,\"bids\":[],\"asks\":[],\"symbol\":\"XYZ\"}"), ERR_NOT_FOUND);
    assert_int_equal(stats_of(&w)->garbled, 1); /* the trade stream without data */
    assert_int_equal(w.parts + w.tops + w.trades + w.states, 0);
    world_close(&w);
}

/* Every frame that decode refuses is counted once, somewhere. */
static uint64_t refused(const world_t *w)
{
    const feed_stats_t *s = stats_of(w);
    return s->garbled + s->off_scale + s->gaps + s->snapshots_stale + w->ops->stats(w->codec)->unassigned;
}

static void test_every_refusal_is_counted(void **state)
{
    (void)state;
    static char text[4096];
    world_t     w;
    world_open(&w, &spot, 0);
    assert_int_equal(say(&w, snap(9, B1, A1)), ERR_OK);
    for (uint32_t deep = 60; deep <= 70; deep++) { /* deeper than a reader goes: also of nobody's snapshot */
        for (int kind = 0; kind < 3; kind++) {
            static const char *const head[] = {"{\"lastUpdateId\":20,\"asks\":[],\"bids\":", "{\"bids\":",
                                               "{\"stream\":\"abc@depth\",\"data\":{\"b\":"};
            size_t                   len    = (size_t)snprintf(text, sizeof text, "%s", head[kind]);
            memset(text + len, '[', deep);
            memset(text + len + deep, ']', deep);
            len += 2 * (size_t)deep;
            memcpy(text + len, "}}", 2);
            const uint64_t before = refused(&w);
            assert_int_not_equal(say_len(&w, text, len + (kind == 2 ? 2 : 1), 1), ERR_OK);
            assert_int_equal(refused(&w), before + 1);
        }
    }
    strcpy(text, snap(30, B1, A1));
    const size_t all = strlen(text);
    for (size_t cut = 0; cut < all; cut++) {
        const uint64_t before = refused(&w);
        assert_int_not_equal(say_len(&w, text, cut, 1), ERR_OK);
        assert_int_equal(refused(&w), before + 1);
    }
    assert_int_equal(stats_of(&w)->snapshots, 1);
    assert_true(w.ops->stats(w.codec)->unassigned >= all); /* cut before anyone knows whose it is */
    world_close(&w);
}

static void test_feeds_and_sizes(void **state)
{
    (void)state;
    world_t w;
    world_open(&w, &spot, 0);
    feed_ref_t ref    = spot;
    ref.instrument_id = 2;
    assert_int_equal(w.ops->feed_add(w.codec, &ref), ERR_EXISTS);
    strcpy(ref.symbol, "XYZ");
    ref.kind = 0;
    assert_int_equal(w.ops->feed_add(w.codec, &ref), ERR_ARG);
    ref.kind   = INSTRUMENT_LINEAR;
    ref.px_exp = 19;
    assert_int_equal(w.ops->feed_add(w.codec, &ref), ERR_ARG);
    ref.px_exp        = 18;
    ref.instrument_id = 1;
    assert_int_equal(w.ops->feed_add(w.codec, &ref), ERR_EXISTS);
    ref.instrument_id = 0;
    assert_int_equal(w.ops->feed_add(w.codec, &ref), ERR_ARG);
    ref.symbol[1] = '"';
    assert_int_equal(w.ops->feed_add(w.codec, &ref), ERR_ARG);
    memset(ref.symbol, 'A', sizeof ref.symbol); /* no end */
    assert_int_equal(w.ops->feed_add(w.codec, &ref), ERR_ARG);
    for (uint32_t id = 2; id <= 5; id++) {
        (void)snprintf(ref.symbol, sizeof ref.symbol, "S%u", id);
        ref.instrument_id = id;
        assert_int_equal(w.ops->feed_add(w.codec, &ref), id <= 4 ? ERR_OK : ERR_LIMIT);
    }
    assert_null(w.ops->feed_stats(w.codec, 5));
    world_close(&w);
    assert_int_equal(w.ops->footprint(&(venue_codec_cfg_t){.feeds_max = 0}), 0);
    assert_int_equal(w.ops->footprint(&(venue_codec_cfg_t){.feeds_max = VENUE_FEEDS_MAX + 1}), 0);
    assert_int_equal(
        w.ops->footprint(&(venue_codec_cfg_t){.feeds_max = 1, .pending_parts = VENUE_PENDING_PARTS_MAX + 1}), 0);
    assert_null(venue_codec_find("nobody"));
}

static void test_many_feeds_are_told_apart(void **state)
{
    (void)state;
    world_t                 w   = {.broken = true, .ops = venue_codec_find("binance")};
    const venue_codec_cfg_t cfg = {.feeds_max     = VENUE_FEEDS_MAX,
                                   .pending_parts = 1,
                                   .sink          = {.ctx = &w, .reserve = world_reserve, .commit = world_commit}};
    w.codec                     = w.ops->create(aligned_alloc(64, (w.ops->footprint(&cfg) + 63) / 64 * 64), &cfg);
    assert_non_null(w.codec);
    for (uint32_t id = 1; id <= VENUE_FEEDS_MAX; id++) {
        feed_ref_t ref = {.instrument_id = id, .kind = INSTRUMENT_SPOT, .px_exp = 0, .qty_exp = 0};
        (void)snprintf(ref.symbol, sizeof ref.symbol, "S%uUSDT", id);
        assert_int_equal(w.ops->feed_add(w.codec, &ref), ERR_OK);
    }
    for (uint32_t id = 1; id <= VENUE_FEEDS_MAX; id++) {
        char text[256];
        (void)snprintf(text, sizeof text,
                       "{\"stream\":\"s%uusdt@bookTicker\",\"data\":{\"u\":1,\"s\":\"S%uUSDT\",\"b\":\"%u\",\"B\":"
                       "\"1\",\"a\":\"%u\",\"A\":\"1\"}}",
                       id, id, id, id + 1);
        assert_int_equal(say(&w, text), ERR_OK);
        assert_int_equal(w.last_top.instrument_id, id);
        assert_int_equal(w.last_top.bid_px, id);
    }
    world_close(&w);
}

/* ---- recorded data ----------------------------------------------------------------------------------------------- */
static const char *shared(const char *name)
{
    static char ring[8][512];
    static int  at;
    const char *s = getenv("HWAL_SHARED");
    char       *p = ring[at++ % 8];
    (void)snprintf(p, sizeof ring[0], "%s/%s", s != NULL ? s : "../shared", name);
    return p;
}

static err_t say_file(world_t *w, const char *name, uint64_t *lines)
{
    FILE *f = fopen(shared(name), "r");
    assert_non_null(f);
    char   *line = NULL;
    size_t  cap  = 0;
    ssize_t n;
    err_t   err = ERR_OK;
    *lines      = 0;
    while (err == ERR_OK && (n = getline(&line, &cap, f)) > 0) {
        err = say_len(w, line, (size_t)n - (line[n - 1] == '\n'), 1);
        ++*lines;
    }
    free(line);
    assert_int_equal(fclose(f), 0);
    return err;
}

static void test_recorded_samples(void **state)
{
    (void)state;
    static const feed_ref_t nkn = {
        .instrument_id = 1, .kind = INSTRUMENT_SPOT, .px_exp = 5, .qty_exp = 8, .symbol = "NKNUSDT"};
    static const feed_ref_t eth = {
        .instrument_id = 1, .kind = INSTRUMENT_SPOT, .px_exp = 2, .qty_exp = 4, .symbol = "ETHUSDT"};
    world_t  w;
    uint64_t lines;
    for (int late = 0; late < 2; late++) { /* the snapshot before all diffs, or after all */
        world_open(&w, &nkn, 0);
        for (int step = 0; step < 2; step++) {
            assert_int_equal(say_file(&w,
                                      step == late ? "venues/samples/binance/rest_depth_nknusdt.json"
                                                   : "venues/samples/binance/ws_nknusdt_depth_100ms.jsonl",
                                      &lines),
                             ERR_OK);
        }
        const feed_stats_t *s = stats_of(&w);
        assert_int_equal(s->diffs_dropped, 1);
        assert_int_equal(s->diffs_applied, 149);
        assert_int_equal(s->diffs_buffered, late ? 150 : 0);
        assert_int_equal(s->last_update_id, 499870179);
        assert_int_equal(best_bid(&w).px, 35270);
        assert_int_equal(best_ask(&w).px, 35310);
        assert_int_equal(say_file(&w, "venues/samples/binance/ws_nknusdt_bookticker.jsonl", &lines), ERR_OK);
        assert_int_equal(lines, 74);
        assert_int_equal(stats_of(&w)->tops, 74);
        assert_int_equal(w.last_top.venue_seq, 499870151);
        assert_int_equal(w.last_top.bid_px, 35270);
        assert_int_equal(w.last_top.ask_px, 35310);
        assert_int_equal(say_file(&w, "venues/samples/binance/ws_nknusdt_aggtrade.json", &lines), ERR_OK);
        assert_int_equal(say_file(&w, "venues/samples/binance/ws_nknusdt_kline_1m.json", &lines), ERR_OK);
        assert_int_equal(w.ops->stats(w.codec)->ignored, 2);
        world_close(&w);
    }
    world_open(&w, &eth, 0); /* an older trade, with order ids in b and a */
    FILE *f = fopen(shared("venues/samples/binance/ws_ethusdt_trade.json"), "r");
    assert_non_null(f);
    char         text[1024];
    const size_t n = fread(text, 1, sizeof text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(say_len(&w, text, n, 1), ERR_OK);
    assert_int_equal(w.last_trade.trade_id, 705291099);
    assert_int_equal(w.last_trade.px, 414974);
    assert_int_equal(w.last_trade.qty, 4387);
    assert_int_equal(w.last_trade.aggressor_side, SIDE_SELL);
    world_close(&w);
}

typedef struct bbo {
    uint64_t id;
    level_t  bid, ask;
} bbo_t;

typedef struct oracle { /* all quotes of the venue, and ours after each diff */
    bbo_t *top, *book;
    size_t tops, books;
} oracle_t;

#define ORACLE_MAX 100000

static void oracle_top(world_t *w)
{
    oracle_t *o = w->user;
    assert_true(o->tops < ORACLE_MAX);
    o->top[o->tops++] = (bbo_t){.id  = w->last_top.venue_seq,
                                .bid = {w->last_top.bid_px, w->last_top.bid_qty},
                                .ask = {w->last_top.ask_px, w->last_top.ask_qty}};
}

static void oracle_book(world_t *w)
{
    oracle_t *o = w->user;
    assert_true(best_bid(w).px < best_ask(w).px);
    if ((w->last_book.flags & BOOK_FLAG_SNAPSHOT) == 0) {
        assert_true(o->books < ORACLE_MAX);
        o->book[o->books++] = (bbo_t){.id = w->last_book.venue_seq, .bid = best_bid(w), .ask = best_ask(w)};
    }
}

static int bbo_cmp(const void *a, const void *b)
{
    const bbo_t *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static size_t oracle_mismatches(oracle_t *o, size_t *checked)
{
    qsort(o->top, o->tops, sizeof o->top[0], bbo_cmp);
    size_t bad = 0, t = 0;
    *checked = 0;
    for (size_t i = 0; i < o->books; i++) {
        while (t < o->tops && o->top[t].id <= o->book[i].id) {
            t++;
        }
        if (t > 0) {
            bad += memcmp(&o->top[t - 1].bid, &o->book[i].bid, 2 * sizeof(level_t)) != 0;
            ++*checked;
        }
    }
    return bad;
}

static void test_captures_give_the_counted_facts(void **state)
{
    (void)state;
    static const struct {
        const char *files[2];
        feed_ref_t  ref;
        uint64_t    buffered, dropped, applied, trades, tops, last;
        int64_t     bid, ask;
        uint32_t    bids, asks;
        size_t      mismatches;
    } sets[]  = {{{"spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"},
                  {.instrument_id = 1, .kind = INSTRUMENT_SPOT, .px_exp = 2, .qty_exp = 8, .symbol = "BTCUSDT"},
                  3,
                  2,
                  6493,
                  19904,
                  73174,
                  50093696318,
                  6160201,
                  6160202,
                  1971,
                  2962,
                  2},
                 {{"usdm_btcusdt_20240808.gz"},
                  {.instrument_id = 1, .kind = INSTRUMENT_LINEAR, .px_exp = 2, .qty_exp = 3, .symbol = "BTCUSDT"},
                  6,
                  4,
                  6547,
                  21313,
                  66089,
                  5123135475514,
                  6165970,
                  6165980,
                  5018,
                  4578,
                  0},
                 {{"usdm_ethusdt_20240808.gz"},
                  {.instrument_id = 1, .kind = INSTRUMENT_LINEAR, .px_exp = 2, .qty_exp = 3, .symbol = "ETHUSDT"},
                  7,
                  5,
                  6581,
                  14076,
                  53992,
                  5123135545737,
                  268138,
                  268139,
                  3181,
                  3013,
                  0},
                 {{"cm_btcusd_perp_20240808.gz", "cm_btcusd_perp_20240809.gz"},
                  {.instrument_id = 1, .kind = INSTRUMENT_INVERSE, .px_exp = 1, .qty_exp = 0, .symbol = "BTCUSD_PERP"},
                  25,
                  23,
                  44772,
                  5235,
                  48355,
                  1007206781963,
                  616000,
                  616001,
                  1510,
                  1733,
                  0}};
    void *mem = aligned_alloc(64, (capture_footprint(2) + 63) / 64 * 64);
    assert_non_null(mem);
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        char        paths[2][512];
        const char *p[2] = {paths[0], paths[1]};
        for (int k = 0; k < 2 && sets[i].files[k] != NULL; k++) {
            (void)snprintf(paths[k], sizeof paths[k], "%s%s", shared("data/binance/"), sets[i].files[k]);
        }
        world_t        w;
        oracle_t       o = {.top = calloc(ORACLE_MAX, sizeof(bbo_t)), .book = calloc(ORACLE_MAX, sizeof(bbo_t))};
        capture_t     *cap;
        capture_line_t line;
        err_t          err;
        world_open(&w, &sets[i].ref, 0);
        w.on_top  = oracle_top;
        w.on_book = oracle_book;
        w.user    = &o;
        assert_int_equal(capture_open(mem, p, sets[i].files[1] != NULL ? 2 : 1, &cap), ERR_OK);
        for (int k = 0; k < 2; k++) { /* our plain book takes its memory now */
            w.side[k] = (side_book_t){.cap = 1 << 16, .level = malloc((1 << 16) * sizeof(level_t))};
        }
        const struct mallinfo2 before = mallinfo2();
        while ((err = capture_next(cap, &line)) == ERR_OK) {
            const md_frame_t frame = {
                .text = line.text, .len = line.len, .ts_recv_ns = line.ts_recv_ns, .instrument_id = 1};
            assert_int_equal(w.ops->decode(w.codec, &frame), ERR_OK);
        }
        const struct mallinfo2 after = mallinfo2();
        assert_int_equal(err, ERR_END);
        assert_int_equal(before.uordblks, after.uordblks); /* codec and capture allocated nothing */
        assert_int_equal(before.hblkhd, after.hblkhd);
        capture_close(cap);
        const feed_stats_t *s = stats_of(&w);
        assert_int_equal(s->diffs_buffered, sets[i].buffered);
        assert_int_equal(s->diffs_dropped, sets[i].dropped);
        assert_int_equal(s->diffs_applied, sets[i].applied);
        assert_int_equal(s->diffs_pending, 0);
        assert_int_equal(s->gaps + s->garbled + s->off_scale + s->trade_gaps + s->trades_repeated, 0);
        assert_int_equal(s->snapshots, 1);
        assert_int_equal(s->trades, sets[i].trades);
        assert_int_equal(s->tops, sets[i].tops);
        assert_int_equal(s->last_update_id, sets[i].last);
        assert_int_equal(w.ops->stats(w.codec)->ignored, 0);
        assert_int_equal(w.ops->stats(w.codec)->unforeseen, 0); /* every frame in the predicted order */
        assert_int_equal(best_bid(&w).px, sets[i].bid);
        assert_int_equal(best_ask(&w).px, sets[i].ask);
        assert_int_equal(w.side[0].count, sets[i].bids);
        assert_int_equal(w.side[1].count, sets[i].asks);
        assert_int_equal(w.levels_max, BOOK_UPDATE_MAX_LEVELS);
        size_t checked;
        assert_int_equal(oracle_mismatches(&o, &checked), sets[i].mismatches);
        assert_true(checked > sets[i].applied - 60);
        free(o.top);
        free(o.book);
        world_close(&w);
    }
    free(mem);
}

static void test_hyperliquid_capture_is_refused(void **state)
{
    (void)state;
    char        path[512];
    const char *p = path;
    (void)snprintf(path, sizeof path, "%s", shared("data/binance/hyperliquid_btc_20250126.gz"));
    void          *mem = aligned_alloc(64, (capture_footprint(1) + 63) / 64 * 64);
    capture_t     *cap;
    capture_line_t line;
    world_t        w;
    world_open(&w, &spot, 0);
    assert_int_equal(capture_open(mem, &p, 1, &cap), ERR_OK);
    while (capture_next(cap, &line) == ERR_OK) {
        assert_int_equal(say_len(&w, line.text, line.len, 1), ERR_UNSUPPORTED);
        assert_non_null(strstr(err_msg(), "the first key is \"channel\""));
    }
    assert_int_equal(w.ops->stats(w.codec)->unassigned, 55);
    capture_close(cap);
    world_close(&w);
    free(mem);
}

int main(void)
{
    const char *seed = getenv("HWAL_SEED");
    rng              = seed != NULL ? strtoull(seed, NULL, 0) : 0x9e3779b97f4a7c15ULL;
    (void)fprintf(stderr, "HWAL_SEED=%" PRIu64 "\n", rng);
    rng |= 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spot_rule_edges),
        cmocka_unit_test(test_spot_first_diff_may_span_the_snapshot),
        cmocka_unit_test(test_futures_rule_edges),
        cmocka_unit_test(test_snapshot_while_live),
        cmocka_unit_test(test_gap_among_kept_diffs),
        cmocka_unit_test(test_lost_breaks_what_was_live),
        cmocka_unit_test(test_lost_by_feed_or_all),
        cmocka_unit_test(test_kept_ring_overflow),
        cmocka_unit_test(test_parts_at_every_size),
        cmocka_unit_test(test_live_book_is_the_venues_book),
        cmocka_unit_test(test_top_and_trade_values),
        cmocka_unit_test(test_trade_ids),
        cmocka_unit_test(test_any_order_of_keys_means_the_same),
        cmocka_unit_test(test_key_twice_missing_or_wrong),
        cmocka_unit_test(test_market_must_be_the_declared_one),
        cmocka_unit_test(test_frame_cut_at_every_byte),
        cmocka_unit_test(test_fault_after_the_first_part),
        cmocka_unit_test(test_ids_and_times_out_of_range),
        cmocka_unit_test(test_what_is_not_ours),
        cmocka_unit_test(test_every_refusal_is_counted),
        cmocka_unit_test(test_feeds_and_sizes),
        cmocka_unit_test(test_many_feeds_are_told_apart),
    };
    const struct CMUnitTest real[] = {cmocka_unit_test(test_recorded_samples),
                                      cmocka_unit_test(test_captures_give_the_counted_facts),
                                      cmocka_unit_test(test_hyperliquid_capture_is_refused)};
    int                     rc     = cmocka_run_group_tests(tests, NULL, NULL);
    if (access(shared("data/binance/README.md"), R_OK) == 0) {
        rc += cmocka_run_group_tests(real, NULL, NULL);
    } else {
        (void)fprintf(stderr, "SKIP recorded data: %s is not there (HWAL_SHARED)\n", shared("data/binance/"));
        rc = rc != 0 ? rc : 77;
    }
    return rc == 0 || rc == 77 ? rc : 1;
}
