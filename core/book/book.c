#include "core/book/book.h"

#include <assert.h>
#include <string.h>

#include "core/types/hash.h"
#include "core/types/num.h"

#define BOOK_MAGIC 0x324b4f4f424c5748u /* "HWLBOOK2": raise the digit when the block's layout changes */
#define WINDOW_LOG2_MIN 6
#define WINDOW_LOG2_MAX 18 /* three bitmaps of 64-bit words reach 64^3 */
#define FAR_LOG2_MIN 6
#define FAR_LOG2_MAX 24

/* book_t.expect: the FIRST and SNAPSHOT flags that the next message must show, or that only a new snapshot will do. */
enum {
    EXPECT_DIFF          = BOOK_FLAG_FIRST,
    EXPECT_DIFF_PART     = 0,
    EXPECT_SNAPSHOT_PART = BOOK_FLAG_SNAPSHOT,
    EXPECT_SNAPSHOT      = 255, /* matches no flags */
    EXPECT_FLAGS         = BOOK_FLAG_FIRST | BOOK_FLAG_SNAPSHOT
};

static_assert(BOOK_ORDINARY == ((uint32_t)EXPECT_DIFF | (uint32_t)FEED_LIVE << 8), "as they lie, little endian");

#define unlikely(x) __builtin_expect(!!(x), 0)

#define TICK_SHORT (INT64_C(1) << 44) /* with it a number of 2^64 / tick is above every window's length */

/* ---- where things lie -------------------------------------------------------------------------------------------- */

static inline size_t window_ticks(const book_t *book)
{
    return (size_t)1 << book->window_log2;
}
static inline size_t far_slots(const book_t *book)
{
    return (size_t)1 << book->far_log2;
}

static inline size_t qty_word(const book_t *book, size_t s, uint64_t pos)
{
    return book->side[s].qty_word + pos;
}

static inline size_t bits0_word(const book_t *book, size_t s, uint64_t pos)
{
    return book->side[s].bits0_word + (pos >> 6);
}

static inline size_t bits1_word(const book_t *book, size_t s, uint64_t pos)
{
    return book->side[s].bits1_word + (pos >> 12);
}

static inline size_t bits1_words(unsigned window_log2)
{
    return window_log2 > 12 ? (size_t)1 << (window_log2 - 12) : 1;
}

/* The words before far: by window size alone. */
static inline size_t window_words(unsigned window_log2)
{
    const size_t words = 2 * (bits1_words(window_log2) + ((size_t)1 << (window_log2 - 6)) + ((size_t)1 << window_log2));
    return (words + 7) / 8 * 8; /* far begins with a line */
}

static inline size_t far_word(const book_t *book, size_t slot)
{
    return window_words(book->window_log2) + 2 * slot;
}

static void lay_out(book_t *book)
{
    const size_t ticks = window_ticks(book);
    const size_t bits1 = bits1_words(book->window_log2);
    for (size_t s = 0; s < 2; s++) {
        book->side[s].bits1_word = s * bits1;
        book->side[s].bits0_word = 2 * bits1 + s * (ticks / 64);
        book->side[s].qty_word   = 2 * (bits1 + ticks / 64) + s * ticks;
        book->side[s].top_word   = book->side[s].qty_word;
    }
}

static bool cfg_sizes(const book_cfg_t *cfg, unsigned *window_log2, unsigned *far_log2)
{
    const uint32_t window = cfg->window_ticks == 0 ? BOOK_WINDOW_TICKS : cfg->window_ticks;
    const uint32_t slots  = cfg->far_slots == 0 ? BOOK_FAR_SLOTS : cfg->far_slots;
    *window_log2          = (unsigned)__builtin_ctz(window);
    *far_log2             = (unsigned)__builtin_ctz(slots);
    if (window != 1u << *window_log2 || *window_log2 < WINDOW_LOG2_MIN || *window_log2 > WINDOW_LOG2_MAX) {
        err_set(ERR_ARG, "book: window_ticks is %u, limit a power of two in %u..%u", window, 1u << WINDOW_LOG2_MIN,
                1u << WINDOW_LOG2_MAX);
        return false;
    }
    if (slots != 1u << *far_log2 || *far_log2 < FAR_LOG2_MIN || *far_log2 > FAR_LOG2_MAX) {
        err_set(ERR_ARG, "book: far_slots is %u, limit a power of two in %u..%u", slots, 1u << FAR_LOG2_MIN,
                1u << FAR_LOG2_MAX);
        return false;
    }
    return true;
}

/* ---- prices and tick indexes ------------------------------------------------------------------------------------- */

/* One band: a division by an invariant that also proves that nothing remains. For odd d, x * d^-1 (mod 2^64) is x / d
 * when d divides x, and above (2^64 - 1) / d for any other x; a rotation instead of a shift does the same for the even
 * part (Granlund and Montgomery 1994, section 9; Hacker's Delight, 10-17). x is the distance from the window's worst
 * price, modulo 2^64, so the quotient is the position at once. Of a price beyond that end x has wrapped: its quotient
 * may be anything, but none that is a position up to the best level's, as all prices there lie between two that are
 * valid, and differ from it by less than 2^64. For that a window must never begin below the lowest valid key. */
static void tick_prepare_one(book_t *book)
{
    const int64_t  tick    = book->ins.bands[0].tick;
    const unsigned shift   = (unsigned)__builtin_ctzll((uint64_t)tick);
    const uint64_t odd     = (uint64_t)tick >> shift;
    uint64_t       inverse = odd; /* right to 3 bits, and each Newton step doubles them */
    for (unsigned step = 0; step < 5; step++) {
        inverse *= 2 - odd * inverse;
    }
    for (size_t s = 0; s < 2; s++) {
        book->side[s].inverse = s == 0 ? inverse : -inverse;
        book->side[s].shift   = shift;
    }
    book->far[0].lowest = book->ins.def.allow_negative ? INT64_MIN / tick : 1;
    book->far[1].lowest = ~(INT64_MAX / tick);
}

/* Several bands: the index counts on across their edges, with index 0 at price 0. So |index| <= |px|, and none
 * overflows. instrument_init saw to it that px_from is a multiple of its own tick; the last multiple of the band below
 * may stand any distance under it. */
static void tick_prepare_bands(book_t *book)
{
    const tick_band_t *bands = book->ins.bands;
    uint32_t           zero  = book->ins.band_count - 1;
    while (zero > 0 && bands[zero].px_from > 0) {
        zero--;
    }
    for (uint32_t b = zero + 1; b < book->ins.band_count; b++) {
        const int64_t edge  = bands[b].px_from;
        const int64_t below = (edge - 1) / bands[b - 1].tick + 1; /* rounded up; edge > 0 */
        book->band_shift[b] = below + book->band_shift[b - 1] - edge / bands[b].tick;
    }
    for (uint32_t b = zero; b > 0; b--) {
        const int64_t edge      = bands[b].px_from;         /* <= 0 */
        const int64_t below     = edge / bands[b - 1].tick; /* rounded up, being negative */
        book->band_shift[b - 1] = edge / bands[b].tick + book->band_shift[b] - below;
    }
    book->far[0].lowest = INT64_MIN;
    book->far[1].lowest = INT64_MIN;
    book->banded        = 1;
}

/* False when px is no valid price of the instrument; *index is then of no use. level_fast has the short way. */
static bool tick_index(const book_t *book, int64_t px, int64_t *index)
{
    uint32_t b = book->ins.band_count - 1;
    while (b > 0 && px < book->ins.bands[b].px_from) {
        b--;
    }
    const int64_t tick = book->ins.bands[b].tick;
    *index             = px / tick + book->band_shift[b];
    return px % tick == 0 && (px > 0 || book->ins.def.allow_negative);
}

static inline int64_t index_px(const book_t *book, int64_t index)
{
    uint32_t b = book->ins.band_count - 1;
    while (b > 0 && index < book->ins.bands[b].px_from / book->ins.bands[b].tick + book->band_shift[b]) {
        b--;
    }
    return (index - book->band_shift[b]) * book->ins.bands[b].tick;
}

/* A key is the index of a bid and the complement of an ask's: the larger, the better. Its own inverse. */
static inline int64_t key_flip(int64_t index, size_t s)
{
    return index ^ -(int64_t)s;
}

static inline int64_t key_px(const book_t *book, size_t s, int64_t key)
{
    return index_px(book, key_flip(key, s));
}

static inline int64_t pos_px(const book_t *book, size_t s, int64_t pos)
{
    return key_px(book, s, book->far[s].base + pos);
}

/* ---- the window -------------------------------------------------------------------------------------------------- */

static inline int64_t bit_highest(uint64_t word)
{
    return 63 - __builtin_clzll(word);
}

/* The highest level of the window below pos, -1 when there is none. 0 <= pos < window. */
static int64_t window_below(const book_t *book, size_t s, int64_t pos)
{
    uint64_t word = book->words[bits0_word(book, s, (uint64_t)pos)] & (((uint64_t)1 << (pos & 63)) - 1);
    if (word != 0) {
        return (pos & ~63LL) + bit_highest(word);
    }
    pos >>= 6; /* now a word of bits0 */
    word = book->words[bits1_word(book, s, (uint64_t)pos << 6)] & (((uint64_t)1 << (pos & 63)) - 1);
    if (word == 0) {
        pos >>= 6; /* now a word of bits1 */
        word = book->far[s].bits2 & (((uint64_t)1 << pos) - 1);
        if (word == 0) {
            return -1;
        }
        pos  = bit_highest(word) << 6;
        word = book->words[bits1_word(book, s, (uint64_t)pos << 6)];
    }
    pos = (pos & ~63LL) + bit_highest(word);
    return (pos << 6) + bit_highest(book->words[bits0_word(book, s, (uint64_t)pos << 6)]);
}

/* bits1 and bits2 after a word of bits0 became empty, or held its first level. */
static inline void window_summarise(book_t *book, size_t s, uint64_t pos)
{
    const uint64_t bit1  = (uint64_t)1 << (pos >> 6 & 63);
    const uint64_t bit2  = (uint64_t)1 << (pos >> 12);
    uint64_t      *bits1 = &book->words[bits1_word(book, s, pos)];
    *bits1               = book->words[bits0_word(book, s, pos)] != 0 ? *bits1 | bit1 : *bits1 & ~bit1;
    book->far[s].bits2   = *bits1 != 0 ? book->far[s].bits2 | bit2 : book->far[s].bits2 & ~bit2;
}

static inline bool side_empty(const book_t *book, size_t s)
{
    return book->far[s].bits2 == 0;
}

/* Position of the best level, -1 when there is none. */
static inline int64_t window_top(const book_t *book, size_t s)
{
    return side_empty(book, s) ? -1 : (int64_t)book->side[s].top;
}

static void top_set(book_t *book, size_t s, int64_t top)
{
    book_side_t *side   = &book->side[s];
    side->top           = top < 0 ? 0 : (uint64_t)top;
    side->top_word      = side->qty_word + side->top;
    book->far[s].top_px = top < 0 ? 0 : pos_px(book, s, top);
}

static void base_set(book_t *book, size_t s, int64_t base)
{
    book->far[s].base = base;
    book->side[s].px0 = (uint64_t)key_flip(base, s) * (uint64_t)book->ins.bands[0].tick; /* of use with one band */
}

/* A quantity at a position, 0 included; the best level is the caller's. */
static inline void window_put(book_t *book, size_t s, uint64_t pos, uint64_t qty)
{
    const uint64_t bit                  = (uint64_t)1 << (pos & 63);
    uint64_t      *bits                 = &book->words[bits0_word(book, s, pos)];
    *bits                               = qty != 0 ? *bits | bit : *bits & ~bit;
    book->words[qty_word(book, s, pos)] = qty;
    window_summarise(book, s, pos);
}

/* A level that is not in the window yet. */
static void window_add(book_t *book, size_t s, uint64_t pos, uint64_t qty)
{
    const bool first = side_empty(book, s);
    window_put(book, s, pos, qty);
    if (first || pos > book->side[s].top) {
        top_set(book, s, (int64_t)pos);
    }
}

/* Where a window must begin to hold key with a quarter of itself above: the rest of a side lies below its best. */
static int64_t window_base(const book_t *book, size_t s, int64_t key)
{
    const int64_t ticks = (int64_t)window_ticks(book);
    const int64_t base  = key < INT64_MIN + ticks ? INT64_MIN : key - ticks / 4 * 3;
    return min_i64(max_i64(base, book->far[s].lowest), INT64_MAX - ticks + 1);
}

/* ---- far levels -------------------------------------------------------------------------------------------------- */

/* A slot is {key, qty}: qty is 0 in an empty one and negative for an ask. Keys of the two sides may be equal. Four keys
 * that follow each other are at home in the four slots of one line of the cache. */
static inline size_t far_home(const book_t *book, uint64_t key)
{
    const uint64_t line = (key >> 2) * 0x9e3779b97f4a7c15u >> (64 + 2 - book->far_log2);
    return (size_t)(line << 2 | (key & 3));
}

static inline bool far_of_side(uint64_t qty, size_t s)
{
    return s == 0 ? (int64_t)qty > 0 : (int64_t)qty < 0;
}

static inline int64_t far_qty(uint64_t qty, size_t s)
{
    return s == 0 ? (int64_t)qty : -(int64_t)qty;
}

/* The slot of a key, or the empty one where it belongs. Ends because a slot in eight stays empty. */
static size_t far_find(const book_t *book, size_t s, int64_t key)
{
    const size_t mask = far_slots(book) - 1;
    size_t       slot = far_home(book, (uint64_t)key);
    for (;; slot = (slot + 1) & mask) {
        const uint64_t *cell = &book->words[far_word(book, slot)];
        if (cell[1] == 0 || (cell[0] == (uint64_t)key && far_of_side(cell[1], s))) {
            return slot;
        }
    }
}

static inline size_t far_room(const book_t *book)
{
    return far_slots(book) / 8 * 7 - book->far[0].count - book->far[1].count;
}

/* False when there is no room for one more. qty > 0. */
static bool far_put(book_t *book, size_t s, int64_t key, int64_t qty)
{
    uint64_t *cell = &book->words[far_word(book, far_find(book, s, key))];
    if (cell[1] == 0) {
        if (far_room(book) == 0) {
            return false;
        }
        book->far[s].count++;
    }
    cell[0] = (uint64_t)key;
    cell[1] = (uint64_t)far_qty((uint64_t)qty, s);
    return true;
}

/* Empty a slot, and shift back each level after it that would no longer be found: no tombstones, so the table never
 * degrades (Knuth 6.4, algorithm R). */
static void far_remove(book_t *book, size_t s, size_t slot)
{
    const size_t mask = far_slots(book) - 1;
    size_t       hole = slot;
    for (size_t next = (slot + 1) & mask;; next = (next + 1) & mask) {
        const uint64_t *cell = &book->words[far_word(book, next)];
        if (cell[1] == 0) {
            break;
        }
        if (((next - far_home(book, cell[0])) & mask) >= ((next - hole) & mask)) {
            memcpy(&book->words[far_word(book, hole)], cell, 2 * sizeof *cell);
            hole = next;
        }
    }
    memset(&book->words[far_word(book, hole)], 0, 2 * sizeof(uint64_t));
    book->far[s].count--;
}

/* The best far level with a key below limit; false when there is none. */
static bool far_best(const book_t *book, size_t s, int64_t limit, int64_t *key, int64_t *qty)
{
    bool found = false;
    for (size_t slot = 0; slot < far_slots(book); slot++) {
        const uint64_t *cell = &book->words[far_word(book, slot)];
        const int64_t   k    = (int64_t)cell[0];
        if (far_of_side(cell[1], s) && k < limit && (!found || k > *key)) {
            found = true;
            *key  = k;
            *qty  = far_qty(cell[1], s);
        }
    }
    return found;
}

/* ---- sliding the window ------------------------------------------------------------------------------------------ */

/* A better price than the window reaches: slide up to it. Levels that fall off the low end become far ones; when these
 * have no room, nothing is changed and the answer is false. */
static bool window_rise(book_t *book, size_t s, int64_t key)
{
    const int64_t  base  = book->far[s].base;
    const uint64_t shift = (uint64_t)window_base(book, s, key) - (uint64_t)base;
    const size_t   words = window_ticks(book) / 64;

    size_t falling = 0;
    for (uint64_t pos = 0; pos < window_ticks(book) && pos < shift; pos += 64) {
        const uint64_t part = shift - pos >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << (shift - pos)) - 1;
        falling += (size_t)__builtin_popcountll(book->words[bits0_word(book, s, pos)] & part);
    }
    if (falling > far_room(book)) {
        return false;
    }
    base_set(book, s, (int64_t)((uint64_t)base + shift));
    top_set(book, s, -1);
    for (size_t w = 0; w < words; w++) { /* upwards: each level moves to a lower position, which has been read before */
        uint64_t word                            = book->words[bits0_word(book, s, w * 64)];
        book->words[bits0_word(book, s, w * 64)] = 0;
        window_summarise(book, s, w * 64);
        for (; word != 0; word &= word - 1) {
            const uint64_t pos  = w * 64 + (uint64_t)__builtin_ctzll(word);
            uint64_t      *cell = &book->words[qty_word(book, s, pos)];
            const uint64_t qty  = *cell;
            *cell               = 0;
            if (pos >= shift) {
                window_add(book, s, pos - shift, qty);
            } else {
                far_put(book, s, base + (int64_t)pos, (int64_t)qty);
            }
        }
    }
    return true;
}

/* The window ran empty: bring it to the best far level, and the levels that it then covers into it. */
static __attribute__((noinline)) void window_fall(book_t *book, size_t s)
{
    int64_t    key  = 0;
    int64_t    qty  = 0;
    const bool some = far_best(book, s, INT64_MAX, &key, &qty); /* INT64_MAX itself is never far */
    assert(some && side_empty(book, s));
    const int64_t base = window_base(book, s, key);
    base_set(book, s, base);
    for (size_t slot = 0; slot < far_slots(book);) {
        const uint64_t *cell = &book->words[far_word(book, slot)];
        const int64_t   k    = (int64_t)cell[0];
        if (far_of_side(cell[1], s) && k >= base) {
            window_add(book, s, (uint64_t)k - (uint64_t)base, (uint64_t)far_qty(cell[1], s));
            far_remove(book, s, slot); /* may bring another level into this slot: look at it again */
        } else {
            slot++;
        }
    }
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

size_t book_align(void)
{
    return _Alignof(book_t);
}

static size_t block_bytes(unsigned window_log2, unsigned far_log2)
{
    const size_t bytes = sizeof(book_t) + (window_words(window_log2) + ((size_t)2 << far_log2)) * sizeof(uint64_t);
    return (bytes + _Alignof(book_t) - 1) / _Alignof(book_t) * _Alignof(book_t);
}

size_t book_footprint(const book_cfg_t *cfg)
{
    unsigned window_log2 = 0;
    unsigned far_log2    = 0;
    return cfg_sizes(cfg, &window_log2, &far_log2) ? block_bytes(window_log2, far_log2) : 0;
}

book_t *book_new(void *mem, const book_cfg_t *cfg, const instrument_t *ins)
{
    assert((uintptr_t)mem % _Alignof(book_t) == 0);
    assert(ins->band_count >= 1 && ins->band_count <= INSTRUMENT_MAX_BANDS);
    unsigned window_log2 = 0;
    unsigned far_log2    = 0;
    if (!cfg_sizes(cfg, &window_log2, &far_log2)) {
        return NULL;
    }
    memset(mem, 0, block_bytes(window_log2, far_log2));
    book_t *book      = mem;
    book->window_log2 = (uint8_t)window_log2;
    book->far_log2    = (uint8_t)far_log2;
    book->ins         = *ins;
    book->expect      = EXPECT_SNAPSHOT;
    book->health      = FEED_BROKEN;
    book->reason      = FEED_REASON_START;
    lay_out(book);
    if (ins->band_count == 1) {
        tick_prepare_one(book);
    } else {
        tick_prepare_bands(book);
    }
    for (size_t s = 0; s < 2; s++) {
        base_set(book, s, max_i64(0, book->far[s].lowest));
    }
    book->magic = BOOK_MAGIC;
    return book;
}

book_t *book_join(void *mem)
{
    book_t *book = mem;
    if (book->magic != BOOK_MAGIC) {
        err_set(ERR_ARG, "book: the block holds %016llx where a book has %016llx", (unsigned long long)book->magic,
                (unsigned long long)BOOK_MAGIC);
        return NULL;
    }
    return book;
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static void book_break(book_t *book, feed_reason_t reason)
{
    book->health = FEED_BROKEN;
    book->reason = (uint8_t)reason;
    book->expect = EXPECT_SNAPSHOT;
}

static void book_clear(book_t *book)
{
    const bool any_far = book->far[0].count + book->far[1].count > 0;
    memset(book->words, 0, far_word(book, any_far ? far_slots(book) : 0) * sizeof(uint64_t));
    for (size_t s = 0; s < 2; s++) {
        book->far[s].bits2 = 0;
        book->far[s].count = 0;
        top_set(book, s, -1);
    }
}

/* May this part be applied? ERR_OK: it may, and the book was cleared when a snapshot begins. */
static err_t admit(book_t *book, const book_update_t *upd)
{
    const uint64_t due   = book->rpt_seq + 1;
    const uint32_t shown = upd->flags & EXPECT_FLAGS;
    book->rpt_seq        = upd->rpt_seq;
    if (shown != EXPECT_FLAGS && book->expect == EXPECT_SNAPSHOT) {
        return ERR_AGAIN;
    }
    if (upd->bid_count + upd->ask_count > BOOK_UPDATE_MAX_LEVELS) {
        book_break(book, FEED_REASON_GARBLED);
        return err_set(ERR_ARG, "book %s: rpt_seq %llu has %d levels, limit %d", book->ins.symbol,
                       (unsigned long long)upd->rpt_seq, upd->bid_count + upd->ask_count, BOOK_UPDATE_MAX_LEVELS);
    }
    if (shown == EXPECT_FLAGS) { /* whatever was lost before a snapshot does not matter */
        book_clear(book);
        book->health = FEED_RECOVERING;
        return ERR_OK;
    }
    if (upd->rpt_seq != due) {
        book_break(book, FEED_REASON_LOST);
        return err_set(ERR_GAP, "book %s: rpt_seq is %llu, and %llu was due", book->ins.symbol,
                       (unsigned long long)upd->rpt_seq, (unsigned long long)due);
    }
    if (shown != book->expect) {
        const uint32_t expect = book->expect;
        book_break(book, FEED_REASON_GARBLED);
        return err_set(ERR_STATE, "book %s: rpt_seq %llu has flags %u where a %s part of a %s was due",
                       book->ins.symbol, (unsigned long long)upd->rpt_seq, upd->flags,
                       expect & BOOK_FLAG_FIRST ? "first" : "further",
                       expect & BOOK_FLAG_SNAPSHOT ? "snapshot" : "diff");
    }
    return ERR_OK;
}

/* Why a level was refused: the book breaks with it. */
static err_t level_fault(book_t *book, const level_t *level)
{
    const char     *symbol = book->ins.symbol;
    const long long px     = (long long)level->px;
    if (level->qty < 0) {
        book_break(book, FEED_REASON_GARBLED);
        return err_set(ERR_RANGE, "book %s: qty at px %lld is %lld, limit 0", symbol, px, (long long)level->qty);
    }
    if (level->px <= 0 && !book->ins.def.allow_negative) {
        book_break(book, FEED_REASON_GARBLED);
        return err_set(ERR_RANGE, "book %s: px is %lld, limit above 0", symbol, px);
    }
    book_break(book, FEED_REASON_SCALE);
    return err_set(ERR_SCALE, "book %s: px is %lld, limit a multiple of the tick %lld", symbol, px,
                   (long long)instrument_tick_at(&book->ins, level->px));
}

/* A level whose key is not in the window. */
static err_t level_outside(book_t *book, size_t s, int64_t key, int64_t qty)
{
    const bool empty = side_empty(book, s);
    bool       fits  = true;
    if (qty == 0) {
        const size_t slot = far_find(book, s, key);
        if (book->words[far_word(book, slot) + 1] != 0) {
            far_remove(book, s, slot);
        }
    } else if (empty || key > book->far[s].base) {
        if (empty) {
            base_set(book, s, window_base(book, s, key));
        } else {
            fits = window_rise(book, s, key);
        }
        if (fits) {
            window_add(book, s, (uint64_t)key - (uint64_t)book->far[s].base, (uint64_t)qty);
        }
    } else {
        fits = far_put(book, s, key, qty);
    }
    if (!fits) {
        book_break(book, FEED_REASON_LIMIT);
        return err_set(ERR_LIMIT, "book %s: px %lld needs one more far level, limit %zu", book->ins.symbol,
                       (long long)key_px(book, s, key), far_slots(book) / 8 * 7);
    }
    return ERR_OK;
}

/* A level at a position of the window, whatever follows from it. */
static void level_window(book_t *book, size_t s, uint64_t pos, int64_t qty)
{
    const book_side_t *side = &book->side[s];
    const uint64_t     bit  = (uint64_t)1 << (pos & 63);
    if (qty != 0 && (book->words[bits0_word(book, s, pos)] & bit) == 0) {
        window_add(book, s, pos, (uint64_t)qty);
        return;
    }
    window_put(book, s, pos, (uint64_t)qty);
    if (qty == 0 && pos == side->top) {
        top_set(book, s, window_below(book, s, (int64_t)pos));
        if (side_empty(book, s) && book->far[s].count != 0) {
            window_fall(book, s);
        }
    }
}

/* The window position of a price; a number that is no position up to the best level's when the window has no such
 * price up to there (see tick_prepare_one). With one band of ticks. */
static inline uint64_t px_pos(const book_side_t *side, int64_t px)
{
    const uint64_t product = ((uint64_t)px - side->px0) * side->inverse;
    return product >> (side->shift & 63) | product << (-side->shift & 63);
}

/* The window position of a price, and that it is a valid one, without a division: with one band of ticks, as px_pos, but
 * anywhere in the window, also above the best level. A price beyond the worst end is not asked about, so x has not
 * wrapped, and the quotient of one between two ticks is above (2^64 - 1) / tick: no position with ticks up to TICK_SHORT.
 * False: the long way must say. */
static inline bool pos_quick(const book_t *book, size_t s, int64_t px, uint64_t *pos)
{
    const book_side_t *side  = &book->side[s];
    const int64_t      worst = (int64_t)side->px0;
    *pos                     = px_pos(side, px);
    return !book->banded && book->ins.bands[0].tick <= TICK_SHORT && (s == 0 ? px >= worst : px <= worst) &&
           (px > 0 || book->ins.def.allow_negative) && *pos < window_ticks(book);
}

/* Any level at all. */
static err_t level_apply(book_t *book, size_t s, const level_t *level)
{
    int64_t  index = 0;
    uint64_t at;
    if (level->qty >= 0 && pos_quick(book, s, level->px, &at)) {
        level_window(book, s, at, level->qty);
        return ERR_OK;
    }
    if (level->qty < 0 || !tick_index(book, level->px, &index)) {
        return level_fault(book, level);
    }
    const int64_t  key = key_flip(index, s);
    const uint64_t pos = (uint64_t)key - (uint64_t)book->far[s].base;
    if (pos >= window_ticks(book)) {
        return level_outside(book, s, key, level->qty);
    }
    level_window(book, s, pos, level->qty);
    return ERR_OK;
}

/* The compiler forgets what it has loaded. There are just enough registers that a function may change for an update of
 * one level: what is needed again is loaded again, which costs less than to save one more; and gcc would load the head's
 * constants before a loop that often runs once. */
static inline void keep_in_memory(void)
{
    __asm__ volatile("" ::: "memory");
}

/* The levels that nearly all are: valid, in the window, where neither the best level nor an upper bitmap changes.
 * False, and nothing is changed, for any other. What the branches ask is rarely so; whether a level comes or goes is a
 * coin toss that the processor would guess badly, and so that is arithmetic: its bit is taken out and put in again.
 *   top     one comparison says that the position is neither above the best level, nor the best level while that goes,
 *           nor outside the window, nor of no valid price: all those are large numbers here. An empty side (top 0) has
 *           no bits.
 *   bits    a word without this level is not zero, so it is not after */
static inline bool level_fast(book_t *book, const book_side_t *side, const level_t *level)
{
    const uint64_t pos  = px_pos(side, level->px);
    const uint64_t some = (uint64_t)((int64_t)(0 - (uint64_t)level->qty) >> 63); /* all ones when there is a quantity */
    if (unlikely(level->qty < 0 || pos + some >= side->top)) {
        return false;
    }
    const uint64_t bit    = (uint64_t)1 << (pos & 63);
    uint64_t      *bits   = &book->words[side->bits0_word + (pos >> 6)];
    const uint64_t others = *bits & ~bit;
    if (unlikely(others == 0)) {
        return false;
    }
    *bits = others | (bit & some);
    keep_in_memory();
    book->words[side->qty_word + pos] = (uint64_t)level->qty;
    return true;
}

/* 0 for a bid, 1 for an ask; a subtraction, for what a comparison leaves is one byte of a register that the next level would wait for. */
static inline size_t side_of(const level_t *level, const level_t *asks)
{
    return (size_t)(level - asks) >> 63 ^ 1;
}

static inline level_t best_of(const book_t *book, size_t s)
{
    return (level_t){.px = book->far[s].top_px, .qty = (int64_t)book->words[book->side[s].top_word]};
}

/* The head's best quantities are not kept while a book is ordinary (book_best looks where they are): before anything
 * else happens to it they are taken down, for that may be a fault. */
static inline void best_keep(book_t *book)
{
    if (book->state == BOOK_ORDINARY) {
        book->best[0].qty = best_of(book, 0).qty;
        book->best[1].qty = best_of(book, 1).qty;
    }
}

/* After the last level of any part. */
static __attribute__((noinline)) err_t part_end(book_t *book, const book_update_t *upd, int64_t mono_ns)
{
    if ((upd->flags & BOOK_FLAG_LAST) == 0) {
        book->expect = upd->flags & BOOK_FLAG_SNAPSHOT ? EXPECT_SNAPSHOT_PART : EXPECT_DIFF_PART;
        return ERR_OK;
    }
    const level_t bid = best_of(book, 0);
    const level_t ask = best_of(book, 1);
    if (bid.px >= ask.px && bid.qty != 0 && ask.qty != 0) {
        book_break(book, FEED_REASON_CROSSED);
        return err_set(ERR_CROSSED, "book %s: after rpt_seq %llu the bid is %lld, limit below the ask %lld",
                       book->ins.symbol, (unsigned long long)upd->rpt_seq, (long long)bid.px, (long long)ask.px);
    }
    book->best[0]         = bid;
    book->best[1]         = ask;
    book->updated_mono_ns = mono_ns;
    book->venue_seq       = upd->venue_seq;
    book->expect          = EXPECT_DIFF;
    book->health          = FEED_LIVE;
    book->reason          = FEED_REASON_NONE;
    return ERR_OK;
}

/* From a level on, whatever comes. */
static __attribute__((noinline)) err_t part_rest(book_t *book, const book_update_t *upd, const level_t *level,
                                                 const level_t *asks, int64_t mono_ns)
{
    const level_t *const end = asks + upd->ask_count;
    for (; level < end; level++) {
        const size_t s = side_of(level, asks);
        const err_t  err =
            !book->banded && level_fast(book, &book->side[s], level) ? ERR_OK : level_apply(book, s, level);
        if (err != ERR_OK) {
            return err;
        }
    }
    return part_end(book, upd, mono_ns);
}

/* Any part: admitted or not. */
static __attribute__((noinline)) err_t part_apply(book_t *book, const book_update_t *upd, const level_t *levels,
                                                  int64_t mono_ns)
{
    best_keep(book);
    const err_t err = admit(book, upd);
    return err != ERR_OK ? err : part_rest(book, upd, levels, levels + upd->bid_count, mono_ns);
}

/* A whole message, next in turn, for a LIVE book. */
static inline bool ordinary(const book_t *book, const book_update_t *upd)
{
    return upd->flags == (BOOK_FLAG_FIRST | BOOK_FLAG_LAST) && book->state == BOOK_ORDINARY &&
           upd->rpt_seq == book->rpt_seq + 1;
}

static inline err_t whole_end(book_t *book, const book_update_t *upd, int64_t mono_ns)
{
    book->updated_mono_ns = mono_ns;
    book->venue_seq       = upd->venue_seq;
    return ERR_OK;
}

/* An ordinary message of several levels, all fast. */
static __attribute__((noinline)) err_t whole_apply(book_t *book, const book_update_t *upd, const level_t *levels,
                                                   int64_t mono_ns)
{
    const level_t *const asks = levels + upd->bid_count;
    const level_t *const end  = asks + upd->ask_count;
    if (unlikely(!ordinary(book, upd) || end > levels + BOOK_UPDATE_MAX_LEVELS)) {
        return part_apply(book, upd, levels, mono_ns);
    }
    best_keep(book);
    book->rpt_seq = upd->rpt_seq;
    for (const level_t *level = levels; level < end; level++) {
        if (unlikely(!level_fast(book, &book->side[side_of(level, asks)], level))) {
            return part_rest(book, upd, level, asks, mono_ns);
        }
        keep_in_memory();
    }
    return whole_end(book, upd, mono_ns);
}

/* An ordinary message of one level that is not fast. */
static __attribute__((noinline)) err_t one_apply(book_t *book, const book_update_t *upd, const level_t *level,
                                                 int64_t mono_ns)
{
    const size_t       s    = upd->ask_count;
    const book_side_t *side = &book->side[s];
    const uint64_t     pos  = px_pos(side, level->px);
    if (level->qty >= 0 && pos < side->top) { /* the only level of its word of bits0 */
        book->rpt_seq = upd->rpt_seq;
        window_put(book, s, pos, (uint64_t)level->qty);
        return whole_end(book, upd, mono_ns);
    }
    best_keep(book);
    book->rpt_seq   = upd->rpt_seq;
    const err_t err = level_apply(book, upd->ask_count, level);
    return err != ERR_OK ? err : part_end(book, upd, mono_ns);
}

/* An ordinary message of one level that is fast. Anything else is left to the functions above, at the point where it
 * shows; this one calls nothing else, which keeps it in those registers that nobody has to save. In the ordinary ones
 * no best price moves, so the book is no more crossed than before: only the quantities there may be new. */
err_t book_apply(book_t *book, const book_update_t *upd, const level_t *levels, int64_t mono_ns)
{
    if (upd->bid_count + upd->ask_count != 1) {
        return whole_apply(book, upd, levels, mono_ns);
    }
    if (unlikely(!ordinary(book, upd))) {
        return part_apply(book, upd, levels, mono_ns);
    }
    if (unlikely(!level_fast(book, &book->side[upd->ask_count], levels))) {
        return one_apply(book, upd, levels, mono_ns);
    }
    book->rpt_seq = upd->rpt_seq;
    return whole_end(book, upd, mono_ns);
}

err_t book_feed(book_t *book, const feed_state_t *state, int64_t mono_ns)
{
    const feed_reason_t reason = (feed_reason_t)state->reason;
    best_keep(book);
    if (state->health == FEED_NONE || state->health > FEED_RECOVERING || state->reason >= FEED_REASON_COUNT) {
        book_break(book, FEED_REASON_GARBLED);
        return err_set(ERR_ARG, "book %s: feed state has health %u and reason %u, limits 1..%d and 0..%d",
                       book->ins.symbol, state->health, state->reason, FEED_RECOVERING, FEED_REASON_COUNT - 1);
    }
    if (state->health == FEED_BROKEN || state->health == FEED_RECOVERING) {
        book_break(book, reason);
        book->health = state->health;
    } else if (state->health == FEED_STALE && book->health == FEED_LIVE) {
        book->health = FEED_STALE;
        book->reason = reason == FEED_REASON_NONE ? FEED_REASON_AGE : (uint8_t)reason;
    } else if (state->health == FEED_LIVE && (book->health == FEED_STALE || book->health == FEED_LIVE)) {
        book->health          = FEED_LIVE;
        book->reason          = FEED_REASON_NONE;
        book->updated_mono_ns = mono_ns;
    }
    return ERR_OK;
}

bool book_age(book_t *book, int64_t mono_ns, int64_t max_age_ns)
{
    if (book->health != FEED_LIVE || mono_ns - book->updated_mono_ns <= max_age_ns) {
        return false;
    }
    best_keep(book);
    book->health = FEED_STALE;
    book->reason = FEED_REASON_AGE;
    return true;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

uint32_t book_level_count(const book_t *book, side_t side)
{
    const size_t s     = side == SIDE_SELL;
    uint32_t     count = (uint32_t)book->far[s].count;
    for (uint64_t pos = 0; pos < window_ticks(book); pos += 64) {
        count += (uint32_t)__builtin_popcountll(book->words[bits0_word(book, s, pos)]);
    }
    return count;
}

int64_t book_qty_at(const book_t *book, side_t side, int64_t px)
{
    const size_t s     = side == SIDE_SELL;
    int64_t      index = 0;
    if (!tick_index(book, px, &index)) {
        return 0;
    }
    const int64_t  key = key_flip(index, s);
    const uint64_t pos = (uint64_t)key - (uint64_t)book->far[s].base;
    if (pos < window_ticks(book)) {
        return (int64_t)book->words[qty_word(book, s, pos)];
    }
    return far_qty(book->words[far_word(book, far_find(book, s, key)) + 1], s);
}

/* Far levels, picked by a heap in out whose root is the worst kept; px holds the key until the end. */
static void heap_sift(level_t *heap, uint32_t i, uint32_t count)
{
    const level_t level = heap[i];
    for (uint32_t child = 2 * i + 1; child < count; child = 2 * i + 1) {
        if (child + 1 < count && heap[child + 1].px < heap[child].px) {
            child++;
        }
        if (level.px <= heap[child].px) {
            break;
        }
        heap[i] = heap[child];
        i       = child;
    }
    heap[i] = level;
}

static void heap_make(level_t *heap, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;) {
        heap_sift(heap, i, count);
    }
}

static __attribute__((noinline)) uint32_t far_levels(const book_t *book, size_t s, level_t *out, uint32_t max)
{
    uint32_t count = 0;
    for (size_t slot = 0; slot < far_slots(book); slot++) {
        const uint64_t *cell = &book->words[far_word(book, slot)];
        if (!far_of_side(cell[1], s)) {
            continue;
        }
        const level_t level = {.px = (int64_t)cell[0], .qty = far_qty(cell[1], s)};
        if (count < max) {
            out[count++] = level;
            if (count == max) {
                heap_make(out, count);
            }
        } else if (level.px > out[0].px) {
            out[0] = level;
            heap_sift(out, 0, count);
        }
    }
    if (count < max) {
        heap_make(out, count);
    }
    for (uint32_t last = count; last > 1;) { /* the worst goes to the end */
        last--;
        const level_t worst = out[0];
        out[0]              = out[last];
        out[last]           = worst;
        heap_sift(out, 0, last);
    }
    for (uint32_t i = 0; i < count; i++) {
        out[i].px = key_px(book, s, out[i].px);
    }
    return count;
}

/* The 64 positions from pos down, the best of them in the highest bit. */
static inline uint64_t window_64(const book_t *book, size_t s, uint64_t pos)
{
    const uint64_t *bits  = &book->words[bits0_word(book, s, pos)];
    const uint64_t  above = 63 - (pos & 63);
    const uint64_t  lower = pos < 64 ? 0 : bits[-1] >> 1 >> (63 - above); /* in two steps: by 64 is no shift */
    return *bits << above | lower;
}

/* The best levels of the window, 64 positions at a time counted from a level: the first 64 mostly hold all that is asked
 * for, and then the loop ends where it always does. Prices of one band are counted on from position 0, modulo 2^64, for
 * two prices may be further apart than int64; of several bands the positions come first. */
static uint32_t window_levels(const book_t *book, size_t s, level_t *out, uint32_t max)
{
    const uint64_t  tick  = book->banded ? 1 : (uint64_t)book->ins.bands[0].tick;
    const uint64_t  step  = s == 0 || book->banded ? tick : -tick;
    const uint64_t  px0   = book->banded ? 0 : book->side[s].px0;
    const uint64_t *qty   = &book->words[book->side[s].qty_word];
    uint32_t        count = 0;
    for (int64_t pos = window_top(book, s); pos >= 0 && count < max;) {
        for (uint64_t word = window_64(book, s, (uint64_t)pos); word != 0 && count < max; count++) {
            const int      below = __builtin_clzll(word);
            const uint64_t at    = (uint64_t)(pos - below);
            word &= ~((uint64_t)1 << 63 >> below);
            out[count] = (level_t){.px = (int64_t)(px0 + at * step), .qty = (int64_t)qty[at]};
        }
        pos = pos < 64 ? -1 : window_below(book, s, pos - 63);
    }
    for (uint32_t i = 0; book->banded && i < count; i++) {
        out[i].px = pos_px(book, s, out[i].px);
    }
    return count;
}

uint32_t book_levels(const book_t *book, side_t side, level_t *out, uint32_t max)
{
    const size_t s     = side == SIDE_SELL;
    uint32_t     count = window_levels(book, s, out, max);
    if (count < max && book->far[s].count != 0) {
        count += far_levels(book, s, out + count, max - count);
    }
    return count;
}

void book_top(const book_t *book, uint32_t n, level_t *bids, uint32_t *bid_count, level_t *asks, uint32_t *ask_count)
{
    *bid_count = book_levels(book, SIDE_BUY, bids, n);
    *ask_count = book_levels(book, SIDE_SELL, asks, n);
    memset(bids + *bid_count, 0, (n - *bid_count) * sizeof *bids);
    memset(asks + *ask_count, 0, (n - *ask_count) * sizeof *asks);
}

bool book_within(const book_update_t *upd, const level_t *levels, int64_t bid_px, int64_t ask_px)
{
    const level_t *const mid = levels + upd->bid_count;
    const level_t *const end = mid + upd->ask_count;
    for (; levels < mid; levels++) {
        if (levels->px >= bid_px) {
            return true;
        }
    }
    for (; levels < end; levels++) {
        if (levels->px <= ask_px) {
            return true;
        }
    }
    return false;
}

static inline bool px_within(int64_t px, int64_t px_limit, size_t s)
{
    return s == 0 ? px >= px_limit : px <= px_limit;
}

int64_t book_depth_within(const book_t *book, side_t side, int64_t px_limit)
{
    const size_t s   = side == SIDE_SELL;
    i128_t       sum = 0;
    for (int64_t pos = window_top(book, s); pos >= 0; pos = window_below(book, s, pos)) {
        if (!px_within(pos_px(book, s, pos), px_limit, s)) {
            return sum > INT64_MAX ? INT64_MAX : (int64_t)sum; /* far levels are worse still */
        }
        sum += (i128_t)book->words[qty_word(book, s, (uint64_t)pos)];
    }
    for (size_t slot = 0; book->far[s].count != 0 && slot < far_slots(book); slot++) {
        const uint64_t *cell = &book->words[far_word(book, slot)];
        if (far_of_side(cell[1], s) && px_within(key_px(book, s, (int64_t)cell[0]), px_limit, s)) {
            sum += far_qty(cell[1], s);
        }
    }
    return sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}

bool book_iter_next(book_iter_t *iter, level_t *out)
{
    const book_t *book = iter->book;
    const size_t  s    = iter->side;
    const int64_t base = book->far[s].base;
    int64_t       pos  = window_top(book, s);
    if (iter->started) {
        pos = iter->key > base ? window_below(book, s, iter->key - base) : -1;
    }
    if (pos >= 0) {
        iter->key = base + pos;
        out->qty  = (int64_t)book->words[qty_word(book, s, (uint64_t)pos)];
    } else if (!iter->started || book->far[s].count == 0 || !far_best(book, s, iter->key, &iter->key, &out->qty)) {
        return false;
    }
    iter->started = true;
    out->px       = key_px(book, s, iter->key);
    return true;
}

static inline uint64_t level_hash(size_t s, int64_t px, int64_t qty)
{
    return hash_i64(hash_i64(s + 1, px), qty);
}

uint64_t book_hash(uint64_t hash, const book_t *book)
{
    for (size_t s = 0; s < 2; s++) {
        uint64_t levels = 0;
        for (int64_t pos = window_top(book, s); pos >= 0; pos = window_below(book, s, pos)) {
            levels += level_hash(s, pos_px(book, s, pos), (int64_t)book->words[qty_word(book, s, (uint64_t)pos)]);
        }
        for (size_t slot = 0; book->far[s].count != 0 && slot < far_slots(book); slot++) {
            const uint64_t *cell = &book->words[far_word(book, slot)];
            if (far_of_side(cell[1], s)) {
                levels += level_hash(s, key_px(book, s, (int64_t)cell[0]), far_qty(cell[1], s));
            }
        }
        hash = hash_u64(hash, levels);
        hash = hash_u64(hash, book_level_count(book, s == 0 ? SIDE_BUY : SIDE_SELL));
        hash = hash_i64(hash, book->best[s].px);
        hash = hash_i64(hash, book_best_qty(book, s));
    }
    hash = hash_u64(hash, (uint64_t)book->health << 32 | (uint64_t)book->reason << 16 | book->expect);
    hash = hash_u64(hash, book->rpt_seq);
    hash = hash_u64(hash, book->venue_seq);
    return hash_i64(hash, book->updated_mono_ns);
}
