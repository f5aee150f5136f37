/* P6: a writer dies in mid-publish. Readers never see the half message, and the next life goes on behind the last whole one.
 *
 *   - at every instruction: the real code runs in a child, one instruction at a time; wherever memory changed, readers look
 *     at it as it is, as if the child had been killed there, and a next life of the writer begins in a copy
 *   - at any moment: a writer at full speed is killed again and again while readers read; 10^6 reads, HWAL_SOAK=1: 10^9
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/records.h"
#include "ipc/ring_broadcast.h"
#include "ipc/ring_lossless.h"
#include "tests/lib/seeded.h"

enum { SLOTS = 4, STRIDE = 128, PLACES = 3, ROOM = STRIDE - RING_SLOT_HEAD };

typedef struct shared { /* what writer and readers share */
    _Alignas(128) uint8_t cast[sizeof(ring_broadcast_t) + SLOTS * STRIDE];
    _Alignas(128) uint8_t lossless[sizeof(ring_lossless_t) + SLOTS * STRIDE];
    _Alignas(128) uint8_t records[sizeof(records_t) + PLACES * STRIDE];
    ring_cursor_t cursor;
} shared_t;

static shared_t *shared_make(void)
{
    shared_t *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(m != MAP_FAILED);
    MUST(ring_broadcast_new(m->cast, SLOTS, STRIDE) && ring_lossless_new(m->lossless, SLOTS, STRIDE) &&
         records_new(m->records, PLACES, STRIDE));
    return m;
}

/* ---- what a writer does ------------------------------------------------------------------------------------------------ */
static ring_meta_t meta_of(uint64_t n, uint32_t behind)
{
    return (ring_meta_t){
        .len = seeded_len(n, ROOM), .type = (uint16_t)n, .topic = behind, .tenant = (uint32_t)(n >> 16)};
}

static bool is_message(const void *payload, const ring_meta_t *meta, uint64_t n)
{
    return meta->len == seeded_len(n, ROOM) && meta->type == (uint16_t)n && meta->tenant == (uint32_t)(n >> 16) &&
           seeded_whole(payload, n, meta->len);
}

static void cast_one(ring_writer_t *w)
{
    const ring_meta_t meta = meta_of(w->next, 0);
    seeded_fill(ring_reserve(w), w->next, meta.len);
    ring_commit(w, &meta);
}

static void commit_batch(lossless_writer_t *w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const ring_meta_t meta = meta_of(w->next + i, n - 1 - i);
        seeded_fill(lossless_slot(w, i), w->next + i, meta.len);
        lossless_meta(w, i, &meta);
    }
    lossless_commit(w, n);
}

/* The number of a write is in its version. */
static void write_place(records_writer_t *w, uint32_t place, uint64_t version)
{
    const ring_meta_t meta = meta_of(version * PLACES + place, 0);
    seeded_fill(records_begin(w, place), version * PLACES + place, meta.len);
    records_end(w, place, &meta);
}

static void a_life(shared_t *m)
{
    ring_writer_t     cast;
    lossless_writer_t lossless;
    records_writer_t  records;
    MUST(ring_writer_join(&cast, m->cast, sizeof(m->cast)) == ERR_OK);
    MUST(lossless_writer_join(&lossless, m->lossless, sizeof(m->lossless)) == ERR_OK);
    MUST(records_writer_join(&records, m->records, sizeof(m->records)) == ERR_OK);
    lossless_writer_cursor(&lossless, &m->cursor);
    for (int i = 0; i < 7; i++) { /* almost two laps */
        cast_one(&cast);
    }
    static const uint32_t batches[] = {1, 3, 2, 1, 4, 1};
    for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
        while (lossless_room(&lossless, batches[i]) < batches[i]) { /* the watcher takes */
        }
        commit_batch(&lossless, batches[i]);
    }
    for (uint64_t version = 1; version <= 2; version++) {
        for (uint32_t place = 0; place < PLACES; place++) {
            write_place(&records, place, version);
        }
    }
}

/* ---- what can be found at any moment ------------------------------------------------------------------------------------- */
static uint64_t looks, accepted;

/* The newest message that a reader can get. */
static uint64_t look_cast(const uint8_t *mem)
{
    ring_reader_t r;
    ring_meta_t   meta;
    uint64_t      buf[ROOM / 8];
    MUST(ring_reader_join(&r, mem, sizeof(((shared_t *)0)->cast), RING_OLDEST) == ERR_OK);
    for (err_t err; (err = ring_read(&r, buf, sizeof(buf), &meta)) != ERR_EMPTY; looks++) {
        MUST(err == ERR_OK || err == ERR_GAP);
        MUST(err == ERR_GAP || is_message(buf, &meta, r.next - 1));
        accepted += err == ERR_OK;
    }
    return r.next - 1;
}

static void check_cast(const shared_t *m, uint64_t *newest)
{
    _Alignas(128) uint8_t copy[sizeof(m->cast)];
    const uint64_t        now = look_cast(m->cast);
    MUST(now == *newest || now == *newest + 1);
    *newest = now;
    ring_writer_t next; /* the restart seals it */
    memcpy(copy, m->cast, sizeof(copy));
    MUST(ring_writer_join(&next, copy, sizeof(copy)) == ERR_OK && next.next == now + 1);
    cast_one(&next);
    cast_one(&next);
    MUST(look_cast(copy) == now + 2);
}

static void check_lossless(const shared_t *m, lossless_reader_t *r)
{
    _Alignas(128) uint8_t copy[sizeof(m->lossless)];
    lossless_writer_t     next;
    lossless_reader_t     look;
    ring_meta_t           meta;
    const void           *payload;
    uint32_t              behind = 0;
    for (err_t err; (err = lossless_peek(r, &meta, &payload)) != ERR_EMPTY; looks++) {
        MUST(err == ERR_OK && is_message(payload, &meta, r->next) && (behind == 0 || meta.topic == behind - 1));
        behind = meta.topic;
        accepted++;
        lossless_take(r);
    }
    MUST(behind == 0);
    MUST(lossless_written(r) == r->next - 1);
    MUST(lossless_reader_join(&look, m->lossless, sizeof(m->lossless), NULL, 0) == ERR_OK);
    MUST(lossless_written(&look) == r->next - 1);
    memcpy(copy, m->lossless, sizeof(copy)); /* nobody writes on where another life wrote */
    MUST(r->next == 1 || lossless_writer_join(&next, copy, sizeof(copy)) == ERR_STATE);
}

static void check_records(const shared_t *m)
{
    records_reader_t r;
    uint32_t         half = 0;
    MUST(records_reader_join(&r, m->records, sizeof(m->records)) == ERR_OK);
    for (uint32_t place = 0; place < PLACES; place++, looks++) {
        uint64_t    buf[ROOM / 8], version;
        ring_meta_t meta;
        const err_t err = records_read(&r, place, buf, sizeof(buf), &meta, &version);
        MUST(err == ERR_OK || err == ERR_EMPTY || err == ERR_AGAIN);
        half += err == ERR_AGAIN;
        accepted += err == ERR_OK;
        MUST(err != ERR_OK || is_message(buf, &meta, version * PLACES + place));
    }
    MUST(half <= 1);
}

/* ---- every instruction -------------------------------------------------------------------------------------------------- */
static void test_P6_writer_dies_at_any_instruction(void **state)
{
    (void)state;
    shared_t   *m    = shared_make();
    shared_t   *last = malloc(sizeof(*last));
    const pid_t pid  = fork();
    int         status;
    uint64_t    newest = 0, instructions = 0, states = 0;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            _exit(77);
        }
        raise(SIGSTOP);
        a_life(m);
        _exit(0);
    }
    MUST(waitpid(pid, &status, 0) == pid);
    if (!WIFSTOPPED(status)) {
        print_message("SKIP test_P6_writer_dies_at_any_instruction: ptrace is not allowed here\n");
        free(last);
        skip();
    }
    lossless_reader_t r;
    MUST(lossless_reader_join(&r, m->lossless, sizeof(m->lossless), &m->cursor, 0) == ERR_OK);
    memcpy(last, m, sizeof(*last));
    for (;; instructions++) {
        MUST(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid);
        if (!WIFSTOPPED(status)) {
            break;
        }
        if (memcmp(last, m, sizeof(*last)) != 0) {
            check_cast(m, &newest);
            check_lossless(m, &r);
            check_records(m);
            memcpy(last, m, sizeof(*last));
            states++;
        }
    }
    MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(newest, 7);
    assert_int_equal(r.next - 1, 12);
    assert_true(states > 100);
    printf("P6 writer dies at any instruction: %llu instructions, %llu states of memory, %llu looks, 0 half messages "
           "seen, "
           "each sealed by the next life (bar: 0)\n",
           (unsigned long long)instructions, (unsigned long long)states, (unsigned long long)looks);
    free(last);
    munmap(m, sizeof(*m));
}

/* ---- any moment ----------------------------------------------------------------------------------------------------------- */
static void write_on(shared_t *m, uint64_t versions)
{
    ring_writer_t    cast;
    records_writer_t records;
    MUST(ring_writer_join(&cast, m->cast, sizeof(m->cast)) == ERR_OK);
    MUST(records_writer_join(&records, m->records, sizeof(m->records)) == ERR_OK);
    for (uint64_t version = versions;; version++) {
        for (uint32_t place = 0; place < PLACES; place++) {
            cast_one(&cast);
            write_place(&records, place, version);
        }
    }
}

static void test_P6_writer_is_killed_at_any_moment(void **state)
{
    (void)state;
    uint64_t       x     = seeded_seed("test_P6_writer_is_killed_at_any_moment");
    const uint64_t want  = seeded_rounds(1000000, 1000000000);
    uint64_t       kills = 0, reads = 0, lost = 0;
    while (reads < want) {
        shared_t     *m = shared_make();
        ring_reader_t r;
        MUST(ring_reader_join(&r, m->cast, sizeof(m->cast), RING_OLDEST) == ERR_OK);
        uint64_t got = 0, newest = 0;
        for (int life = 0; life < 10;
             life++, kills++) { /* all of them in one broadcast ring; records are each life's own */
            memset(m->records + sizeof(records_t), 0, sizeof(m->records) - sizeof(records_t));
            const pid_t pid = fork();
            if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                write_on(m, 1);
            }
            records_reader_t places;
            MUST(records_reader_join(&places, m->records, sizeof(m->records)) == ERR_OK);
            uint64_t until = reads + 1000 + seeded_next(&x) % (want / 100);
            bool     dead  = false;
            for (uint64_t empty = 0; !dead || empty == 0;) {
                uint64_t    buf[ROOM / 8], version;
                ring_meta_t meta;
                err_t       err = ring_read(&r, buf, sizeof(buf), &meta);
                MUST(err == ERR_OK || err == ERR_EMPTY || err == ERR_GAP);
                MUST(err != ERR_OK || is_message(buf, &meta, r.next - 1));
                got += err == ERR_OK;
                reads += err == ERR_OK;
                empty                = err == ERR_EMPTY;
                const uint32_t place = (uint32_t)(reads % PLACES);
                err                  = records_read(&places, place, buf, sizeof(buf), &meta, &version);
                MUST(err == ERR_OK || err == ERR_EMPTY || err == ERR_AGAIN);
                MUST(err != ERR_OK || is_message(buf, &meta, version * PLACES + place));
                reads += err == ERR_OK;
                if (!dead && reads >= until) {
                    kill(pid, SIGKILL);
                    MUST(waitpid(pid, NULL, 0) == pid);
                    dead  = true;
                    empty = 0; /* what it wrote since that look is read too */
                }
            }
            newest = r.next - 1;
            MUST(look_cast(m->cast) == newest);
        }
        MUST(got + r.lost == newest); /* over all lives, to the message */
        lost += r.lost;
        munmap(m, sizeof(*m));
    }
    printf("P6 writer is killed at any moment: %llu kills, %llu reads, %llu lost and told, 0 half messages seen (bar: "
           "0 in %llu)\n",
           (unsigned long long)kills, (unsigned long long)reads, (unsigned long long)lost, (unsigned long long)want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_P6_writer_dies_at_any_instruction),
        cmocka_unit_test(test_P6_writer_is_killed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
