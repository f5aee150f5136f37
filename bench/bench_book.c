/* The parts of the suite `book`, each a question of its own in a file of its own. */
#include "bench/bench.h"

const bench_part_t bench_book_parts[] = {
    {"l2", "an update of the L2 book with best bid and offer read, against a bare flat array; publication; many books",
     bench_l2, false},
    {"l3", "a message of an L3 feed, parsed and folded into the book, with and without queues; many books", bench_l3,
     false},
    {"match", "an order in the matching book, ids of 64 bits, reports, self-trade prevention; a crash; many books",
     bench_match, false},
    {"replay", "a recording of ours, read and folded into books; and the same with strategies, risk and venue", bench_replay,
     false},
    {0},
};
