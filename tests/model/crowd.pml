/* crowd: one sleeper, one bell, two producers with a lane each, as several rings share a consumer's doorbell (ipc/words.h).
 * A lane is the simplest ring there is: how many messages were sent. Producer 0 may be killed anywhere, and nobody tells.
 *
 *   - what a producer that lives has sent is read; what all have sent is read if none was killed
 * -DBUG_PRODUCER_CLEARS: a producer that takes the flag down and dies before its wake is the end of the sleeper. */

#ifndef MESSAGES
#define MESSAGES 3 /* of each */
#endif

#define SENT(producer) (producer)
#define ASLEEP 2
#define WORD 3
#define CELLS 4

#define WRITER_MAY_DIE                                                                                                 \
    if                                                                                                                 \
    :: me == 0 -> goto dead                                                                                            \
    :: skip                                                                                                            \
    fi

#include "tso.pml"

chan buffers[3] = [BUFFER] of { byte, byte };
bit died;
byte seen[2];

proctype producer(byte me)
{
    byte n, asleep;
    do
    :: n < MESSAGES ->
        n++;
        STORE(buffers[me], SENT(me), n);
        WRITER_MAY_DIE;
        bell_ring(buffers[me], asleep);
        asleep = 0
    :: else -> goto finished
    od;
dead:
    died = 1;
finished:
    skip
}

proctype sleeper()
{
    byte word;
    do
    :: seen[1] == MESSAGES && (seen[0] == MESSAGES || died) -> break
    :: else ->
        if
        :: LOAD(SENT(0)) != seen[0] || LOAD(SENT(1)) != seen[1] ->
            seen[0] = LOAD(SENT(0));
            seen[1] = LOAD(SENT(1))
        :: else ->
            bell_arm(buffers[2], word);
            if
            :: LOAD(SENT(0)) != seen[0] || LOAD(SENT(1)) != seen[1] -> bell_disarm(buffers[2])
            :: else -> bell_wait(buffers[2], word, (seen[1] == MESSAGES && died))
            fi;
            word = 0
        fi
    od
}

init
{
    atomic {
        run processor(buffers[0]);
        run processor(buffers[1]);
        run processor(buffers[2]);
        run producer(0);
        run producer(1);
        run sleeper()
    }
}

#ifdef LIVENESS
ltl delivered { <> (seen[1] == MESSAGES) }
#endif
