/* ring: ipc/ring_lossless.{h,c} and the doorbell of ipc/words.c, whole: batches, full, take_n, sleep; a writer that dies
 * anywhere and begins a new life with a new ring; a reader that dies anywhere and begins a new life in the same ring.
 *
 * The messages are numbered 1..MESSAGES over all lives. Claims:
 *   - the reader gets each of them, once, in order, whole (assert in `processed`)
 *   - of a batch it finds all or nothing (assert in `peeked`)
 *   - what lossless_written says of a dead writer's ring is what it committed (assert in `writer`)
 *   - nobody sleeps for ever on something that was committed: no state without a successor but the end (spin's own check),
 *     and delivered under weak fairness
 * -DBUG_... plants one mistake; each must be found (run). */

#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef MESSAGES
#define MESSAGES 4
#endif
#ifndef BATCH
#define BATCH 2
#endif
#ifndef WRITER_DEATHS
#define WRITER_DEATHS 0
#endif
#ifndef READER_DEATHS
#define READER_DEATHS 0
#endif

#define RINGS (WRITER_DEATHS + 1)
#define CURSORS (READER_DEATHS + 1)

/* Cells: the sequence words, the payloads, the cursors, the bell. A payload says which message it is and how many of its
 * batch follow. Ring r has id r + 1, so that 0 is none. */
#define SLOT(ring, n) ((ring) * SLOTS + ((n) - 1) % SLOTS)
#define SEQ(ring, n) SLOT(ring, n)
#define DATA(ring, n) (RINGS * SLOTS + SLOT(ring, n))
#define TAKEN(cursor) (2 * RINGS * SLOTS + 2 * (cursor))
#define RING_ID(cursor) (TAKEN(cursor) + 1)
#define ASLEEP (2 * RINGS * SLOTS + 2 * CURSORS)
#define WORD (ASLEEP + 1)
#define CELLS (WORD + 1)
#define PAYLOAD(number, behind) ((number) * 4 + (behind))

#define WRITER_MAY_DIE                                                                                                 \
    if                                                                                                                 \
    :: writer_deaths > 0 -> goto dead                                                                                  \
    :: skip                                                                                                            \
    fi
#define READER_MAY_DIE                                                                                                 \
    if                                                                                                                 \
    :: reader_deaths > 0 -> goto dead                                                                                  \
    :: skip                                                                                                            \
    fi

#include "tso.pml"

chan w_buffer = [BUFFER] of { byte, byte };
chan r_buffer = [BUFFER] of { byte, byte };

byte writer_deaths = WRITER_DEATHS, reader_deaths = READER_DEATHS;
byte newest_ring;   /* the supervisor's news to the reader */
byte newest_cursor; /* and to the writer */
byte done;          /* messages that the reader's journal holds */
byte done_ring, done_seq;
byte behind;        /* messages of the batch in hand that are still to come */

/* ---- the writer ------------------------------------------------------------------------------------------------------ */
proctype writer()
{
    byte ring, next = 1, taken, cursor, first = 1; /* message `first` has sequence 1 in this ring */
    byte n, i, room, before, now, after, asleep;
    byte committed; /* in this ring: what lossless_written must find */
    bit unrung;

turn:
    if /* news, or not yet */
    :: cursor != newest_cursor -> cursor = newest_cursor
    :: skip
    fi;
    if
    :: first + next - 1 > MESSAGES -> goto rest
    :: else
    fi;
    select(n : 1 .. BATCH);
    if
    :: first + next - 1 + n - 1 > MESSAGES -> n = 1
    :: else
    fi;
    /* lossless_room */
    room = SLOTS - (next - 1 - taken);
    if
    :: room < n -> /* refresh_taken, lossless_cursor_taken */
        before = LOAD(RING_ID(cursor));
        now = LOAD(TAKEN(cursor));
        after = LOAD(RING_ID(cursor));
        if
#ifdef BUG_ANY_RINGS_POSITION
        :: now > taken && now < next -> taken = now
#else
        :: before == ring + 1 && after == before && now > taken && now < next -> taken = now
#endif
        :: else
        fi;
        room = SLOTS - (next - 1 - taken)
    :: else
    fi;
    if
    :: room < n -> goto rest /* full is an answer: the turn ends */
    :: else
    fi;
    /* lossless_slot, lossless_meta */
    i = 0;
    do
    :: i < n ->
        STORE(w_buffer, DATA(ring, next + i), PAYLOAD(first + next - 1 + i, n - 1 - i));
        WRITER_MAY_DIE;
        i++
    :: else -> break
    od;
    /* lossless_commit */
#ifdef BUG_FIRST_WORD_FIRST
    i = 0;
    do
    :: i < n ->
        STORE(w_buffer, SEQ(ring, next + i), next + i);
        WRITER_MAY_DIE;
        i++
    :: else -> break
    od;
    committed = next + n - 1;
#else
    i = n;
    do
    :: i > 1 ->
        i--;
        STORE(w_buffer, SEQ(ring, next + i), next + i);
        WRITER_MAY_DIE
    :: else -> break
    od;
    atomic { STORE(w_buffer, SEQ(ring, next), next); committed = next + n - 1 };
    WRITER_MAY_DIE;
#endif
    next = next + n;
    unrung = 1;
    n = 0;
    if
    :: goto turn /* one more batch in this turn */
    :: skip
    fi;
rest: /* the end of a turn */
    if
    :: unrung -> bell_ring(w_buffer, asleep); unrung = 0; asleep = 0
    :: else
    fi;
    if
    :: first + next - 1 > MESSAGES -> goto finished
    :: else -> before = 0; now = 0; after = 0; room = 0; n = 0; i = 0; goto turn
    fi;
dead: /* what was done is done; a new life: what was not committed is sent again, in a ring of its own */
    FENCE(w_buffer);
    atomic {
        writer_deaths--;
        /* lossless_written, from 0 */
        now = 0;
        i = 0;
        do
        :: i < 4 * SLOTS && LOAD(SEQ(ring, now + 1)) > now ->
            now = (LOAD(SEQ(ring, now + 1)) == now + 1 -> now + 1 : LOAD(SEQ(ring, now + 1)) - SLOTS);
            i++
        :: else -> break
        od;
        assert(now == committed);
        first = first + committed;
        ring++;
        next = 1; taken = 0; committed = 0; unrung = 0; n = 0; i = 0; now = 0; before = 0; after = 0; room = 0; asleep = 0;
        newest_ring = ring
    };
    goto turn;
finished:
    skip
}

/* ---- the reader ------------------------------------------------------------------------------------------------------ */
/* lossless_reader_join */
inline join(cursor, ring, position)
{
#ifdef BUG_ID_BEFORE_POSITION
    STORE(r_buffer, RING_ID(cursor), (ring) + 1);
    STORE(r_buffer, TAKEN(cursor), position)
#else
    STORE(r_buffer, RING_ID(cursor), 0);
    STORE(r_buffer, TAKEN(cursor), position);
    STORE(r_buffer, RING_ID(cursor), (ring) + 1)
#endif
}

proctype reader()
{
    byte ring, next = 1, cursor, i, seq, payload, word;

    join(cursor, 0, 0);
turn:
    if
    :: done == MESSAGES -> goto finished
    :: else
    fi;
    i = 0;
    do /* lossless_peek_at i = 0, 1 ... and then take_n of all that were seen */
    :: i < SLOTS ->
        seq = LOAD(SEQ(ring, next + i));
        if
        :: seq == next + i ->
#ifdef BUG_TAKEN_BEFORE_READ
            STORE(r_buffer, TAKEN(cursor), next + i);
#endif
            payload = LOAD(DATA(ring, next + i));
            atomic { /* processed: its journal has it */
                assert(payload / 4 == done + 1);
                assert(behind == 0 || payload % 4 == behind - 1);
                behind = payload % 4;
                done++;
                done_ring = ring;
                done_seq = next + i
            };
            payload = 0;
            READER_MAY_DIE;
            i++
        :: else ->
            assert(seq < next + i); /* nothing is overwritten that was not taken */
            assert(behind == 0);    /* peeked: of a batch all or nothing */
            break
        fi
    :: i > 0 -> break
    od;
    if
    :: i > 0 -> /* lossless_take_n */
        next = next + i;
        STORE(r_buffer, TAKEN(cursor), next - 1);
        i = 0; seq = 0;
        goto turn
    :: else
    fi;
    if
    :: ring < newest_ring && LOAD(SEQ(ring, next)) < next -> /* its writer is dead, and it is read to its end */
        ring++;
        next = 1;
        join(cursor, ring, 0);
        goto turn
    :: ring < newest_ring && LOAD(SEQ(ring, next)) >= next -> goto turn
    :: else
    fi;
    READER_MAY_DIE;
    bell_arm(r_buffer, word);
    READER_MAY_DIE;
#ifndef BUG_NO_SECOND_LOOK
    if
    :: LOAD(SEQ(ring, next)) == next -> bell_disarm(r_buffer); word = 0; goto turn
    :: else
    fi;
#endif
    bell_wait(r_buffer, word, (ring < newest_ring));
    word = 0;
    READER_MAY_DIE;
    goto turn;
dead: /* a new life goes on behind what its journal holds, with a cursor of its own */
    FENCE(r_buffer);
    atomic {
        reader_deaths--;
        parked = 0;
        ring = done_ring;
        next = done_seq + 1;
        cursor++;
        i = 0; seq = 0; payload = 0; word = 0
    };
    join(cursor, ring, next - 1);
    newest_cursor = cursor;
    goto turn;
finished:
    skip
}

init
{
    atomic {
        run processor(w_buffer);
        run processor(r_buffer);
        run writer();
        run reader()
    }
}

#ifdef LIVENESS
ltl delivered { <> (done == MESSAGES) }
#endif
