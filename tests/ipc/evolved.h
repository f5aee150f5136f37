/* evolved: the C side of evolved.fbs, with which the tests play a newer release. */
#pragma once

#include "core/types/msg.h"

typedef struct trade_ext {
    int64_t  fee;
    uint64_t flags;
} trade_ext_t;

typedef struct small {
    uint32_t a;
    int16_t  b;
    uint8_t  c;
    int8_t   d;
} small_t;

enum { LEAF_NONE = 0, LEAF_TRADE = 1, LEAF_KINDS = 2 };
enum { COLOUR_RED = 1, COLOUR_GREEN = 2, COLOUR_BLUE = 4 };
enum { EVOLVED_NONE = 0, EVOLVED_TRADE = 3, EVOLVED_NEWS = 200 };
