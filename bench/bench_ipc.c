/* The parts of the suite `ipc`, each a question of its own in a file of its own. */
#include "bench/bench.h"

const bench_part_t bench_ipc_parts[] = {
    {"roundtrip", "there and back through our rings and the peers, against a bounced line", bench_roundtrip, true},
    {"throughput", "one way flat out, batching on, our rings and the peers", bench_throughput, true},
    {"readers", "what readers cost a broadcast writer: polling, stopped, killed, 32, spinning", bench_readers, false},
    {"small", "template write, read, verify, histogram, counter", bench_small, false},
    {"lane", "a risk check over a lane of a live instance, spinning", bench_lane, false},
    {"attach", "from nothing to the first complete book of a live instance", bench_attach, false},
    {"live", "a live instance, busy and idle: event, decision, order taken; futex hops", bench_live, false},
    {0},
};
