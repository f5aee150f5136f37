/* From snapshot, journal and what is left of the rings to the state before (tests/lib/house.h).
 *
 * Checked   the engine dies at every step of a batch, again and again, with requests and reports on their way: after
 *           each death the state is that of an engine that was given the journaled inputs and nothing else, the venue
 *           got no request twice, what was journaled and not sent is answered as never sent (151), what was sent and
 *           not taken by the adapter, nothing that was reported is lost or booked twice, and trading goes on;
 *           an adapter that began a new life meanwhile: its old rings are read to their end first;
 *           a lost segment, another ring, another life's ring: every order UNKNOWN, then found again;
 *           a replay that differs, a hole, a snapshot that the journal does not reach: refused by name;
 *           engine time never goes back, whatever the machine's clocks do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/engine/engine_view.h"
#include "tests/lib/house.h"
#include "tools/verify.h"

static jmp_buf death;

typedef struct plan { /* when to die */
    const house_t *h;
    engine_step_t  step;
    uint32_t       after;    /* inputs of the kind that count */
    bool           requests; /* inputs that cause requests count; else reports */
} plan_t;

static void maybe_die(void *ctx, engine_step_t step)
{
    plan_t             *plan = ctx;
    const engine_out_t *out  = &plan->h->e->loop.out;
    const out_rec_t    *rec;
    bool                counts = false;
    for (uint32_t pos = 0; (rec = engine_out_next(out, &pos));) {
        counts |= rec->type == (plan->requests ? MSG_ORDER_REQUEST : MSG_EXEC_REPORT);
    }
    if (step == plan->step && counts && plan->after-- == 0) {
        longjmp(death, 1);
    }
}

static bool doubled(const uint64_t *ids, uint32_t count)
{
    uint64_t *sorted = malloc(sizeof *ids * (count + 1));
    bool      found  = false;
    memcpy(sorted, ids, sizeof *ids * count);
    for (uint32_t gap = count / 2; gap > 0; gap /= 2) {
        for (uint32_t i = gap; i < count; i++) {
            const uint64_t v = sorted[i];
            uint32_t       j = i;
            for (; j >= gap && sorted[j - gap] > v; j -= gap) {
                sorted[j] = sorted[j - gap];
            }
            sorted[j] = v;
        }
    }
    for (uint32_t i = 1; i < count; i++) {
        found |= sorted[i] == sorted[i - 1];
    }
    free(sorted);
    return found;
}

/* Positions of the engine are those of the venue: no fill lost, none booked twice. */
static void check_positions(const house_t *h)
{
    for (uint32_t account = 1; account <= 4; account++) {
        for (uint32_t id = 1; id <= FLOW_INSTRUMENTS; id++) {
            position_t position = {0};
            engine_position_record(h->e->loop.engine, account, id, &position);
            assert_int_equal(position.qty, h->position[account][id]);
        }
    }
}

static void settle(house_t *h)
{
    for (int i = 0; i < 400 && !house_trades(h); i++) {
        house_pump(h, 20);
        if (i > 20) {
            usleep(5000); /* UNKNOWN orders are asked about once a second */
        }
    }
    assert_true(house_trades(h));
}

static void die_at(house_t *h, engine_step_t step, uint32_t after, bool requests)
{
    plan_t            plan   = {.h = h, .step = step, .after = after, .requests = requests};
    volatile uint32_t rounds = 0;
    h->e->loop.at_step       = maybe_die;
    h->e->loop.at_step_ctx   = &plan;
    if (setjmp(death) == 0) {
        while (rounds++ < 3000) {
            house_pump(h, 10);
        }
        fail_msg("it did not die at step %u", step);
    }
    /* what the engine knew when it died, of which only what was committed counts */
    const engine_loop_t *l         = &h->e->loop;
    const uint64_t       committed = step == ENGINE_STEP_APPLIED ? l->sequence - 1 : l->sequence;
    const uint64_t       hash      = engine_state_hash(l->engine);
    uint32_t             due       = 0;
    const out_rec_t     *rec;
    for (uint32_t pos = 0; (rec = engine_out_next(&l->out, &pos));) {
        due += rec->type == MSG_ORDER_REQUEST;
    }
    house_crash(h);
    uint64_t       sequence;
    const uint64_t reference = house_reference(h, &sequence);
    assert_int_equal(sequence, committed);
    if (step != ENGINE_STEP_APPLIED) {
        assert_int_equal(reference, hash);
    }
    assert_int_equal(house_boot(h, true), ERR_OK);
    const recover_t *r = &h->e->recover;
    assert_int_equal(r->sequence, committed);
    assert_false(recover_orders_unknown(r));
    assert_int_equal(r->unsent_count, step == ENGINE_STEP_COMMITTED ? due : 0);
    if (step == ENGINE_STEP_COMMITTED) {
        for (uint32_t i = 0; i < r->unsent_count; i++) {
            const order_req_t *req = &r->unsent[i];
            const uint32_t     row = order_find(engine_orders(h->e->loop.engine), req->cl_ord_id);
            if (req->action == ORDER_ACTION_NEW) {
                assert_true(row != ORDER_NONE);
                assert_int_equal(order_at(engine_orders(h->e->loop.engine), row)->ord_status, ORD_STATUS_REJECTED);
            }
        }
    }
    settle(h);
    check_positions(h);
    assert_false(doubled(h->taken, h->taken_count));
}

static void test_recover_at_every_step_of_a_batch(void **state)
{
    (void)state;
    house_t       *h     = house_open(1);
    uint32_t       lives = 1;
    const uint32_t laps  = getenv("HWAL_SOAK") ? 40 : 3;
    assert_int_equal(house_boot(h, true), ERR_OK);
    settle(h);
    for (uint32_t lap = 0; lap < laps; lap++) {
        for (engine_step_t step = 0; step < ENGINE_STEP_COUNT; step++) {
            die_at(h, step, lap * 3, step != ENGINE_STEP_DONE);
            die_at(h, step, lap, false);
            lives += 2;
        }
    }
    house_pump(h, 500);
    house_journal(h);
    static verify_result_t v;
    assert_int_equal(verify_dir(h->dir, &v), ERR_OK);
    assert_true(v.equal);
    assert_int_equal(v.lives, lives);
    assert_true(h->refused > 0);
    printf("%u lives, %u requests at the venue, %u published and refused, %llu inputs\n", lives, h->taken_count,
           h->refused, (unsigned long long)v.inputs);
    house_close(h);
}

/* ---- what was sent is not known ------------------------------------------------------------------------------------ */
static void test_recover_without_the_segment_every_order_is_unknown_until_it_was_asked_about(void **state)
{
    (void)state;
    house_t *h = house_open(2);
    assert_int_equal(house_boot(h, true), ERR_OK);
    settle(h);
    for (int i = 0; i < 200 && order_open_count(engine_orders(h->e->loop.engine)) == 0; i++) {
        house_pump(h, 50);
    }
    const uint32_t open = order_open_count(engine_orders(h->e->loop.engine));
    assert_true(open > 0);
    house_crash(h);
    assert_int_equal(house_boot(h, false), ERR_OK);
    assert_true(recover_orders_unknown(&h->e->recover));
    uint32_t             unknown = 0;
    const order_table_t *orders  = engine_orders(h->e->loop.engine);
    for (uint32_t row = order_first(orders); row != ORDER_NONE; row = order_next(orders, row)) {
        unknown += order_at(orders, row)->ord_status == ORD_STATUS_UNKNOWN;
    }
    assert_int_equal(unknown, open);
    assert_false(house_trades(h));
    settle(h);
    check_positions(h);
    assert_false(doubled(h->taken, h->taken_count));
    house_close(h);
}

static void test_recover_disbelieves_a_ring_that_is_not_the_last_lifes(void **state)
{
    (void)state;
    house_t *h = house_open(3);
    assert_int_equal(house_boot(h, true), ERR_OK);
    settle(h);
    house_pump(h, 1000);
    house_venue(h);
    assert_true(h->taken_count > 0);
    house_crash(h);
    /* one byte of one message that the ring still holds */
    size_t         bytes;
    uint8_t       *ring   = segment_find(&h->engine_before, "ord.sim", SEGMENT_LOSSLESS, &bytes);
    const uint32_t stride = topology_ring(RING_ID_ORD_SIM)->stride;
    ring_slot_t   *slot   = (ring_slot_t *)(void *)(ring + 128 + (size_t)stride * 4);
    assert_int_equal(slot->seq, 5);
    ((uint8_t *)(slot + 1))[24] ^= 1;
    assert_int_equal(house_boot(h, true), ERR_OK);
    assert_true(recover_orders_unknown(&h->e->recover));
    assert_int_equal(engine_boot(h->e->loop.engine)->flags, BOOT_ORDERS_UNKNOWN);
    settle(h);
    check_positions(h);
    house_close(h);
}

/* ---- lives of the adapter ------------------------------------------------------------------------------------------ */
/* Reports that nobody has read yet when the adapter dies. */
static void leave_reports(house_t *h)
{
    const uint64_t read = h->e->loop.sources[0].exec.next - 1;
    for (int i = 0; i < 5000 && h->exec_messages < read + 5; i++) {
        house_market(h, 1);
        h->e->loop.mono_offset_ns += NS_PER_MS;
        if (h->exec_messages == read) {
            house_turn(h);
            house_journal(h);
            if (h->e->loop.ord.next != h->ord.next) {
                house_venue(h); /* and no turn behind it */
                return;
            }
        }
    }
}

static void test_recover_reads_an_old_life_of_the_adapter_to_its_end(void **state)
{
    (void)state;
    for (int engine_dies = 0; engine_dies < 2; engine_dies++) {
        house_t *h = house_open(6);
        assert_int_equal(house_boot(h, true), ERR_OK);
        settle(h);
        house_pump(h, 1000);
        house_venue(h);
        leave_reports(h);
        const uint64_t written = h->exec_messages, read = h->e->loop.sources[0].exec.next - 1;
        const uint32_t old = h->sim.head->gen;
        assert_true(written > read);
        if (engine_dies) {
            house_crash(h);
        }
        h->exec_messages = 0;
        house_sim_restart(h);
        if (engine_dies) {
            assert_int_equal(house_boot(h, true), ERR_OK);
        } else {
            assert_true(engine_source_waits(&h->e->loop));
            assert_int_equal(lossless_cursor_taken(&h->ctx->cursors[RING_ID_EXEC_SIM], h->exec.ring), 0);
        }
        assert_int_equal(h->e->loop.sources[0].gen, old);
        while (engine_source_waits(&h->e->loop)) {
            house_turn(h);
            house_journal(h);
        }
        assert_int_equal(h->e->loop.sources[0].gen, h->sim.head->gen);
        settle(h);
        check_positions(h);
        house_pump(h, 500);
        assert_false(doubled(h->taken, h->taken_count));

        /* every message of the old ring is in the journal, the first of the new one behind them, no link up between */
        journal_reader_t *reader;
        journal_entry_t   entry;
        uint64_t          last = 0;
        bool              down = false, broken = false, switched = false;
        house_journal(h);
        assert_int_equal(journal_open_dir(h->dir, &h->id, &reader), ERR_OK);
        while (journal_next(reader, &entry) == ERR_OK) {
            const record_t *rec = &entry.record;
            if (rec->head.kind != RECORD_INPUT) {
                continue;
            }
            if (rec->head.source == RECORD_SOURCE_EXEC && rec->head.source_gen == old) {
                assert_false(switched);
                assert_int_equal(rec->head.source_seq, last + 1);
                last = rec->head.source_seq;
            }
            switched |= rec->head.source == RECORD_SOURCE_EXEC && rec->head.source_gen != old;
            if (rec->msg.type == MSG_CONTROL && last == written && !switched) {
                const control_t *control = rec->msg.body;
                down |= control->kind == CONTROL_VENUE_LINK && control->value == 0;
            }
            broken |= rec->msg.type == MSG_FEED_STATE && last == written && !switched;
        }
        assert_int_equal(last, written);
        assert_true(switched && down && broken);
        journal_close(reader);
        static verify_result_t v;
        assert_int_equal(verify_dir(h->dir, &v), ERR_OK);
        assert_true(v.equal);
        house_close(h);
    }
}

/* ---- refusals ------------------------------------------------------------------------------------------------------ */
static void test_recover_refuses_a_snapshot_that_the_journal_does_not_reach(void **state)
{
    (void)state;
    house_t        *h = house_open(4);
    snapshot_info_t info;
    assert_int_equal(snapshot_head(h->snapshot_fd, &info), ERR_OK);
    void *arena = aligned_alloc(4096, (info.arena_bytes + 4095) & ~(size_t)4095);
    memset(arena, 0, info.arena_bytes);
    assert_int_equal(snapshot_load(h->snapshot_fd, &info, arena), ERR_OK);
    info.record   = 77;
    info.sequence = 70;
    assert_int_equal(ftruncate(h->snapshot_fd, 0), 0);
    assert_int_equal(snapshot_write(h->snapshot_fd, &info, arena), ERR_OK);
    free(arena);
    assert_int_equal(house_boot(h, true), ERR_GAP);
    assert_non_null(strstr(err_msg(), "record 77"));
    house_close(h);
}

static void test_recover_passes_over_a_damaged_snapshot(void **state)
{
    (void)state;
    house_t        *h = house_open(8);
    snapshot_info_t info;
    uint8_t         byte;
    assert_int_equal(house_boot(h, true), ERR_OK);
    settle(h);
    house_pump(h, 500);
    house_crash(h);
    assert_int_equal(snapshot_head(h->snapshot_fd, &info), ERR_OK);
    void *arena = aligned_alloc(4096, (info.arena_bytes + 4095) & ~(size_t)4095);
    memset(arena, 0, info.arena_bytes);
    assert_int_equal(snapshot_load(h->snapshot_fd, &info, arena), ERR_OK);
    info.record   = 20;
    info.sequence = 15;
    h->newer_fd   = memfd_create("snapshot", MFD_CLOEXEC);
    assert_true(h->newer_fd > 0);
    assert_int_equal(snapshot_write(h->newer_fd, &info, arena), ERR_OK);
    const off_t at = lseek(h->newer_fd, 0, SEEK_END) - 1000;
    assert_int_equal(pread(h->newer_fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(h->newer_fd, &byte, 1, at), 1); /* its head is good still */
    assert_int_equal(snapshot_head(h->newer_fd, &info), ERR_OK);
    assert_int_equal(house_boot(h, true), ERR_OK);
    assert_int_equal(h->e->recover.from.record, 0);
    settle(h);
    house_pump(h, 100);
    close(h->newer_fd);
    free(arena);
    house_close(h);
}

static void test_recover_names_the_difference(void **state)
{
    (void)state;
    house_t *h = house_open(5);
    assert_int_equal(house_boot(h, true), ERR_OK);
    settle(h);
    house_pump(h, 500);
    house_crash(h);
    journal_reader_t *reader;
    journal_entry_t   entry;
    recover_t        *r = calloc(1, sizeof *r);
    assert_int_equal(recover_open(r, h->snapshot_fd, &h->id), ERR_OK);
    assert_int_equal(journal_open_dir(h->dir, &h->id, &reader), ERR_OK);
    err_t    err    = ERR_OK;
    uint64_t edited = 0;
    while (!err && journal_next(reader, &entry) == ERR_OK) {
        if (!edited && entry.record.head.kind == RECORD_OUTPUT && entry.record.msg.type == MSG_VERDICT) {
            static verdict_t other;
            other                 = *(const verdict_t *)entry.record.msg.body;
            other.account_id      = 99;
            entry.record.msg.body = &other;
            edited                = entry.number;
        }
        err = recover_entry(r, &entry);
    }
    assert_int_equal(err, ERR_STATE);
    assert_true(r->diff.found);
    assert_int_equal(r->diff.number, edited);
    assert_string_equal(r->diff.field, "account_id");
    assert_non_null(strstr(r->diff.text, "99"));
    recover_close(r);
    journal_close(reader);

    assert_int_equal(recover_open(r, h->snapshot_fd, &h->id), ERR_OK);
    assert_int_equal(journal_open_dir(h->dir, &h->id, &reader), ERR_OK);
    assert_int_equal(journal_next(reader, &entry), ERR_OK);
    assert_int_equal(journal_next(reader, &entry), ERR_OK);
    assert_int_equal(recover_entry(r, &entry), ERR_GAP); /* the second one first */
    recover_close(r);
    journal_close(reader);
    journal_id_t other = h->id;
    other.session++;
    assert_int_equal(recover_open(r, h->snapshot_fd, &other), ERR_UNSUPPORTED);
    free(r);
    house_close(h);
}

/* ---- the clock, positions ------------------------------------------------------------------------------------------ */
static void test_recover_engine_time_never_goes_back(void **state)
{
    (void)state;
    const int64_t s   = NS_PER_S;
    recover_t    *r   = calloc(1, sizeof *r);
    r->now            = (now_t){.mono_ns = 1000 * s, .utc_ns = 50000 * s};
    r->mono_offset_ns = 100 * s;
    r->boot_id_hash   = 7;
    assert_int_equal(recover_offset(r, 950 * s, 50050 * s, 7), 100 * s); /* the same boot: as it was */
    assert_int_equal(recover_offset(r, 950 * s, 50050 * s, 0), 100 * s);
    assert_int_equal(recover_offset(r, 10 * s, 50060 * s, 8) + 10 * s, 1060 * s);     /* another boot: by UTC */
    assert_int_equal(recover_offset(r, 9999 * s, 50060 * s, 8) + 9999 * s, 1060 * s); /* also when it runs longer */
    assert_int_equal(recover_offset(r, 10 * s, 40000 * s, 8) + 10 * s, 1000 * s);     /* UTC went back: not we */
    assert_int_equal(recover_offset(r, 10 * s, 50001 * s, 7) + 10 * s, 1001 * s);     /* same id, and behind: moved */
    *r = (recover_t){0};
    assert_int_equal(recover_offset(r, 10 * s, 40000 * s, 8), 0);
    assert_int_not_equal(recover_boot_id(), 0);
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recover_at_every_step_of_a_batch),
        cmocka_unit_test(test_recover_without_the_segment_every_order_is_unknown_until_it_was_asked_about),
        cmocka_unit_test(test_recover_disbelieves_a_ring_that_is_not_the_last_lifes),
        cmocka_unit_test(test_recover_reads_an_old_life_of_the_adapter_to_its_end),
        cmocka_unit_test(test_recover_refuses_a_snapshot_that_the_journal_does_not_reach),
        cmocka_unit_test(test_recover_passes_over_a_damaged_snapshot),
        cmocka_unit_test(test_recover_names_the_difference),
        cmocka_unit_test(test_recover_engine_time_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
