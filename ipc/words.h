/* words: the one small file of an instance that several processes write (the owner's only; a group may look): doorbells,
 * the fence, kill words. Nothing in it is trusted: a wrong bell wakes somebody for nothing, a fence can only rise, a kill
 * word can only stop trading until the engine's own journaled state says otherwise.
 *
 *   <instance>/words        | head page | words_t |
 *
 * Doorbell  one for each consumer thread, not one for each ring. The sleeper: asleep = 1, seq_cst fence, looks at all
 *           its rings once more, then waits for the word to differ from what it was before it set asleep. The producer:
 *           message out, seq_cst fence, asleep set? then word + 1 and a wake: a futex (engine), or one byte into the
 *           role's FIFO (roles that sleep on descriptors). Either the sleeper sees the message or the producer sees
 *           asleep: a wake cannot be missed. Only the sleeper clears asleep: a producer that is killed between its look
 *           and its wake leaves the flag for the next one.
 * Fence     fence_epoch only rises (compare and swap to the larger). Orders of an older epoch do not leave any more; an
 *           engine of an older epoch ends itself.
 * Kill      a bit of kill_set[scope][id / 64] for each scope; written under the lock file kill.lock, then kill_version +
 *           1 (release) and the engine's bell. The engine makes journaled CONTROL_KILL records of what changed;
 *           adapters look at the GLOBAL bit themselves and send no new order while it is set. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/types/msg.h"

#define WORDS_BELLS 16u      /* by role_t (ipc/topology.h) */
#define WORDS_KILL_IDS 1024u /* ids 0..1023 of each scope */

typedef struct doorbell {
    _Atomic uint32_t word;
    _Atomic uint32_t asleep;
    uint8_t          pad[120];
} doorbell_t;

typedef struct words {
    _Atomic uint32_t fence_epoch;
    _Atomic uint32_t stop;         /* supervisor: 1 = orderly stop asked for */
    _Atomic uint64_t kill_version; /* rises with each change of kill_set */
    _Atomic uint32_t engine_mail;  /* supervisor: rises with each lane whose files it has mailed to the engine */
    uint8_t          pad[108];
    doorbell_t       bells[WORDS_BELLS];
    _Atomic uint64_t kill_set[SCOPE_VENUE + 1][WORDS_KILL_IDS / 64]; /* by scope_t; GLOBAL: bit 0 */
} words_t;

_Static_assert(sizeof(doorbell_t) == 128, "mapped by others: bump SEGMENT_VERSION");
_Static_assert(offsetof(words_t, bells) == 128, "mapped by others: bump SEGMENT_VERSION");

/* words_fence_raise: to at least epoch. Returns the fence now. */
uint32_t words_fence_raise(words_t *words, uint32_t epoch);

/* doorbell_ring: after the messages of a turn are out. fifo_fd < 0: a futex. A system call only when somebody sleeps. */
void doorbell_ring(doorbell_t *bell, int fifo_fd);

/* The sleeper's three steps: word = doorbell_arm(bell); look again, and if there is work doorbell_disarm(bell); else
 * doorbell_wait (futex; adapters poll their FIFO instead), which disarms. timeout_ns < 0: no limit. It may return early
 * (a signal, a bell for something seen already): the caller looks again anyway. */
uint32_t doorbell_arm(doorbell_t *bell);
void     doorbell_disarm(doorbell_t *bell);
void     doorbell_wait(doorbell_t *bell, uint32_t word, int64_t timeout_ns);

/* words_kill: set or clear a kill word and raise kill_version (the caller holds kill.lock, and rings the bell). false:
 * scope or id out of range, nothing changed. */
bool words_kill(words_t *words, scope_t scope, uint32_t id, bool on);
