/* tso: the memory of an x86, as the models beside this file see it.
 *
 * A store goes into a buffer of its processor and reaches memory later, in order; a load reads memory (none of these
 * programs loads what it stored itself, so nothing is forwarded); a fence waits until the buffer is empty; a locked
 * instruction and a system call do so too. The compiler moves nothing: the C says acquire, release, fence at each place.
 * A process that is killed leaves what is in its buffer: those instructions were done. */

#define BUFFER 4 /* stores; more only makes the search longer: no step of the programs needs them */

byte mem[CELLS];

#define LOAD(cell) mem[cell]
#define STORE(buffer, cell, value) buffer ! cell, value
#define FENCE(buffer) empty(buffer)

proctype processor(chan buffer)
{
    byte cell, value;
end:
    do
    :: atomic { buffer ? cell, value -> mem[cell] = value }
    od
}

/* The bell of a sleeper: ipc/words.c. word: what a futex looks at. fifo: has a byte in it (more than one is the same to
 * poll; a full FIFO is awake). parked: in the kernel, until somebody wakes it. */
bit parked, fifo;

inline bell_ring(buffer, asleep_now)
{
#ifndef BUG_RING_WITHOUT_FENCE
    FENCE(buffer); /* words_fence_full */
#endif
    asleep_now = LOAD(ASLEEP);
    if
    :: asleep_now == 0
    :: else ->
#ifdef BUG_PRODUCER_CLEARS
        atomic { FENCE(buffer) -> mem[ASLEEP] = 0 }
#endif
        WRITER_MAY_DIE;
        atomic { FENCE(buffer) -> mem[WORD] = mem[WORD] + 1 } /* atomic_fetch_add */
        WRITER_MAY_DIE;
#ifdef FIFO
        fifo = 1 /* write */
#else
        parked = 0 /* FUTEX_WAKE */
#endif
    fi
}

inline bell_arm(buffer, word)
{
    word = LOAD(WORD);
    STORE(buffer, ASLEEP, 1);
#ifndef BUG_ARM_WITHOUT_FENCE
    FENCE(buffer) /* words_fence_full */
#endif
}

inline bell_disarm(buffer)
{
    STORE(buffer, ASLEEP, 0)
}

/* news: something else that ends the sleep: the supervisor's socket, or a bell that it rings. */
inline bell_wait(buffer, word, news)
{
#ifdef BUG_WORD_LATE
    word = LOAD(WORD);
#endif
#ifdef FIFO
    FENCE(buffer); /* a system call */
    (fifo || news); /* ppoll */
    bell_disarm(buffer);
    fifo = 0 /* read: as many bytes as there are */
#else
    atomic { /* FUTEX_WAIT: the kernel looks and queues under one lock */
        FENCE(buffer);
        if
        :: LOAD(WORD) == word -> parked = 1
        :: else
        fi
    }
    (!parked || news);
    parked = 0;
    bell_disarm(buffer)
#endif
}
