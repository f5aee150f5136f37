/* P8: somebody of the same uid writes at random into live segments: rings, cursors, pages, words, clocks, records, lanes.
 * The engine runs on, or ends trading with an alarm; it does not crash, and no order leaves that its limits forbid.
 *
 * Damaged: all that the engine reads of others (md, exec, cursors, control pages, durable position, words) and all of its
 * own that it only writes (clock, pages, counters, histograms, records, ev). Not damaged: the messages of jrn and ord: who
 * writes those as the engine's uid is the engine; production gives roles uids of their own.
 * The oracle: limits as the journal has them, orders as the venue got them; and the journal replays to the same hash.
 * 3 s, HWAL_SOAK=1: 60 s. The same against a live instance: tests/system/faults.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/engine/engine_view.h"
#include "tests/lib/house.h"
#include "tests/lib/seeded.h"
#include "tools/verify.h"

#define INSTRUMENTS 64u /* as configured */
#define ACCOUNTS 16u

enum { ROUNDS = 600, PUMP = 40, EXEC_ROOM = 1024 };

typedef struct tally {
    uint64_t writes, orders, ended, refused, houses, limits;
} tally_t;

typedef struct area { /* that an adversary may write into */
    uint8_t *mem;
    size_t   bytes;
} area_t;

static area_t area_of(const segment_t *seg, const char *name, segment_kind_t kind)
{
    area_t a = {0};
    a.mem    = segment_find(seg, name, kind, &a.bytes);
    MUST(a.mem != NULL);
    return a;
}

static area_t area_any(house_t *h, uint64_t *x)
{
    switch (seeded_next(x) % 14) {
    case 0:
    case 1: return area_of(&h->sim, "md", SEGMENT_BROADCAST);
    case 2:
    case 3: return area_of(&h->sim, "exec", SEGMENT_LOSSLESS);
    case 4: return area_of(&h->sim, "cursors", SEGMENT_CURSORS);
    case 5: return area_of(&h->sim, "control", SEGMENT_CONTROL);
    case 6: return area_of(&h->journal, "control", SEGMENT_CONTROL);
    case 7: return area_of(&h->journal, "cursors", SEGMENT_CURSORS);
    case 8: return area_of(&h->journal, "durable", SEGMENT_CURSORS);
    case 9: return (area_t){.mem = (uint8_t *)h->words, .bytes = sizeof(*h->words)};
    case 10: return area_of(&h->ctx->own, "clock", SEGMENT_BLOB);
    case 11: return area_of(&h->ctx->own, "control", SEGMENT_CONTROL);
    case 12: return area_of(&h->ctx->own, "books", SEGMENT_RECORDS);
    default: return area_of(&h->ctx->own, "ev", SEGMENT_BROADCAST);
    }
}

/* Where something happens: near what is written next, or anywhere. */
static size_t place_in(const house_t *h, area_t a, uint64_t *x)
{
    const uint64_t dice = seeded_next(x);
    const uint8_t *near = NULL;
    if (dice % 8 == 1 && a.mem == (const uint8_t *)h->words) {
        return dice / 8 % 16; /* fence, stop, version of the kill words */
    }
    if (dice % 2) {
        near = a.mem == (const uint8_t *)h->md.ring     ? (const uint8_t *)ring_writer_slot(&h->md)
               : a.mem == (const uint8_t *)h->exec.ring ? (const uint8_t *)lossless_slot_head(&h->exec, 0)
                                                        : NULL;
    }
    if (near) {
        return ((size_t)(near - a.mem) + a.bytes - 512 + dice / 2 % 1024) % a.bytes;
    }
    if (dice % 16 && (a.mem == (const uint8_t *)h->md.ring || a.mem == (const uint8_t *)h->exec.ring)) {
        return 128 + dice / 16 % (a.bytes - 128); /* a damaged head refuses the next life; that ends this house */
    }
    return dice / 2 % (dice % 4 < 2 ? (a.bytes < 512 ? a.bytes : 512) : a.bytes);
}

static void damage(house_t *h, uint64_t *x, tally_t *t)
{
    for (uint64_t n = seeded_next(x) % 8; n > 0; n--, t->writes++) {
        const area_t   a    = area_any(h, x);
        const size_t   at   = place_in(h, a, x);
        const uint64_t dice = seeded_next(x);
        if (dice % 3 == 0) { /* a word, else a bit */
            const uint64_t value = dice % 2 ? seeded_next(x) : dice / 64 % 3 - 1;
            memcpy(a.mem + at, &value, a.bytes - at < 8 ? a.bytes - at : 8);
        } else {
            a.mem[at] ^= (uint8_t)(1u << dice / 4 % 8);
        }
    }
}

/* Whose words they are says them again, as they do in a live instance; and where the engine ended, a new one begins. */
typedef struct truth {
    words_t       words;
    ring_cursor_t ord, jrn;
} truth_t;

static ring_cursor_t *cursor_of(const segment_t *seg, ring_id_t id)
{
    return (ring_cursor_t *)(void *)area_of(seg, "cursors", SEGMENT_CURSORS).mem + id;
}

static void truth_know(const house_t *h, truth_t *truth)
{
    memcpy(&truth->words, h->words, sizeof(truth->words));
    memcpy(&truth->ord, cursor_of(&h->sim, RING_ID_ORD_SIM), sizeof(truth->ord));
    memcpy(&truth->jrn, cursor_of(&h->journal, RING_ID_JRN), sizeof(truth->jrn));
}

/* false: no new life can begin, and a sentence says what is damaged. */
static bool truth_say(house_t *h, truth_t *truth, tally_t *t)
{
    truth->words.kill_version = h->words->kill_version + 1;
    memcpy(h->words, &truth->words, sizeof(truth->words));
    truth->ord.taken = h->ord.next - 1;
    truth->jrn.taken = h->jrn.next - 1;
    memcpy(cursor_of(&h->sim, RING_ID_ORD_SIM), &truth->ord, sizeof(truth->ord));
    memcpy(cursor_of(&h->journal, RING_ID_JRN), &truth->jrn, sizeof(truth->jrn));
    control_state((control_page_t *)(void *)area_of(&h->journal, "control", SEGMENT_CONTROL).mem, ROLE_RUN);
    if (h->e->loop.fenced) {
        house_crash(h);
        t->ended++;
        const err_t err = house_boot(h, true);
        if (err != ERR_OK) {
            MUST(err == ERR_PARSE || err == ERR_STATE);
            t->refused++;
            printf("a new life refused: %s\n", err_msg());
            return false;
        }
        truth_know(h, truth);
    }
    return true;
}

/* ---- the oracle ------------------------------------------------------------------------------------------------------------ */
typedef struct limits { /* of an instrument, as the journal says */
    int64_t qty, value, account_qty[ACCOUNTS + 1];
} limits_t;

static void limits_read(const house_t *h, limits_t out[INSTRUMENTS + 1])
{
    journal_reader_t *reader;
    journal_entry_t   entry;
    MUST(journal_open_dir(h->dir, &h->id, &reader) == ERR_OK);
    while (journal_next(reader, &entry) == ERR_OK) {
        if (entry.record.head.kind != RECORD_INPUT || entry.record.msg.type != MSG_LIMIT_SET) {
            continue;
        }
        const limit_set_t *set = entry.record.msg.body;
        if (set->scope_type == SCOPE_INSTRUMENT && set->scope_id <= INSTRUMENTS) {
            out[set->scope_id].qty   = set->max_qty;
            out[set->scope_id].value = set->max_value;
        } else if (set->scope_type == SCOPE_ACCOUNT_INSTRUMENT && set->scope_id2 <= INSTRUMENTS) {
            out[set->scope_id2].account_qty[set->scope_id] = set->max_qty;
        }
    }
    journal_close(reader);
}

static void orders_within(const house_t *h, tally_t *t)
{
    static limits_t limits[INSTRUMENTS + 1];
    memset(limits, 0, sizeof(limits));
    limits_read(h, limits);
    for (uint32_t i = 0; i < HOUSE_ORDERS; i++) {
        const order_req_t *req = &h->orders[i].req;
        if (req->cl_ord_id != 0) {
            const limits_t *l = &limits[req->instrument_id];
            int64_t         value;
            MUST(instrument_notional(flow_instrument(h->flow, req->instrument_id - 1), req->px, req->qty, &value));
            MUST(req->px == 0 || value <= l->value); /* market orders are valued at a price of risk's own */
            MUST(req->qty > 0 && req->qty <= l->qty && req->qty <= l->account_qty[req->account_id]);
            t->limits++;
        }
    }
}

static void one_house(uint64_t seed, uint64_t *x, tally_t *t)
{
    static verify_result_t v;
    truth_t                truth;
    bool                   lives = true;
    house_t               *h     = house_open(seed);
    MUST(house_boot(h, true) == ERR_OK);
    house_pump(h, 400);
    truth_know(h, &truth);
    for (int round = 0; lives && round < ROUNDS && h->taken_count < HOUSE_TAKEN_MAX / 2; round++) {
        damage(h, x, t);
        if (lossless_room(&h->exec, EXEC_ROOM) < EXEC_ROOM) { /* stuck behind damage: the adapter begins anew */
            house_sim_restart(h);
            house_turn(h);
            truth_know(h, &truth);
            memcpy(truth.ord.pad, cursor_of(&h->sim, RING_ID_ORD_SIM)->pad, sizeof(truth.ord.pad));
            truth.ord.ring_id = h->ord.ring->head.id;
        }
        house_pump(h, PUMP);
        lives = truth_say(h, &truth, t);
    }
    if (lives) {
        house_journal(h);
    }
    MUST(verify_dir(h->dir, &v) == ERR_OK && v.equal);
    MUST(!lives || v.state_hash == engine_state_hash(h->e->loop.engine));
    orders_within(h, t);
    t->orders += h->taken_count;
    t->houses++;
    house_close(h);
}

static void test_P8_random_writes_into_live_segments(void **state)
{
    (void)state;
    const uint64_t seed  = seeded_seed("test_P8_random_writes_into_live_segments");
    uint64_t       x     = seed;
    tally_t        t     = {0};
    const int64_t  until = role_mono_ns() + (int64_t)seeded_rounds(getenv("HWAL_QUICK") ? 1 : 3, 60) * 1000000000;
    for (uint64_t i = 0; role_mono_ns() < until; i++) {
        one_house(seed * 1000 + i, &x, &t);
    }
    printf(
        "P8 random writes into live segments: %llu writes in %llu houses, engine crashes 0 (bar 0), orders outside "
        "limits 0 "
        "of %llu (bar 0); %llu lives ended by a raised fence, %llu new ones refused by name; journals replay equal\n",
        (unsigned long long)t.writes, (unsigned long long)t.houses, (unsigned long long)t.limits,
        (unsigned long long)t.ended, (unsigned long long)t.refused);
    assert_true(t.limits > 0 && t.writes > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_P8_random_writes_into_live_segments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
