#include "tools/replay_lobster.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/files/lobster.h"
#include "core/book/book.h"
#include "core/types/decimal.h"
#include "tools/command.h"

#define CENT 100            /* in 10^-LOBSTER_PX_EXP dollars */
#define DIFFERENCE_MAX 1024 /* bytes of a sentence with two paths */
#define DOLLAR 10000

typedef struct lobster_replay {
    /* options */
    const char *messages, *rows, *start;
    bool        json;
    /* state */
    book_t       *book;
    book_update_t upd;
    lobster_t    *messages_file, *rows_file;
    lobster_row_t row;                          /* what the venue says */
    level_t       ours[LOBSTER_LEVELS_MAX + 1]; /* of one side: a row's, and the one that a message may add */
    /* result */
    uint64_t message_count, checked, mismatched, adopted, ignored, first_mismatch_line;
    char     first_mismatch[DIFFERENCE_MAX];
} lobster_replay_t;

static void usage(void)
{
    fputs(
        "usage: hwal replay --lobster MESSAGES --book ORDERBOOK [--start ORDERBOOK] [--json]\n\n"
        "Apply the order messages of a LOBSTER file (CSV, gzip or plain) to our book and compare every level with the\n"
        "venue's own book after every message. Levels that come into the window from outside are adopted there.\n\n"
        "  --lobster FILE     messages: time, type, order id, size, price, side\n"
        "  --book FILE        the book after each message: ask price, ask size, bid price, bid size, a level\n"
        "  --start FILE       begin with the first line of this book; adopt nothing; compare the sequence of distinct\n"
        "                     best levels with --book, up to the first difference\n"
        "  --check            said anyway: this command does nothing else\n"
        "  --json             one JSON object on stdout\n\n"
        "Exit code: 0 equal; 1 a difference or a fault of the files (the first is named); 2 usage.\n\n"
        "examples:\n"
        "  hwal replay --lobster AMZN_message_1.csv.gz --book AMZN_orderbook_1.csv.gz --check\n"
        "  hwal replay --lobster AAPL_message_50.csv --book AAPL_orderbook_1.csv --start AAPL_orderbook_10.csv "
        "--json\n",
        stdout);
}

bool replay_lobster_asked(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--lobster") == 0 || strncmp(argv[i], "--lobster=", 10) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- our book ---------------------------------------------------------------------------------------------------- */
static err_t book_make(lobster_replay_t *r)
{
    const instrument_def_t def      = {.instrument_id = 1,
                                       .kind          = INSTRUMENT_SPOT,
                                       .px_exp        = LOBSTER_PX_EXP,
                                       .money_exp     = LOBSTER_PX_EXP,
                                       .settle_ccy    = ccy_pack("USD"),
                                       .lot           = 1,
                                       .mult          = 1};
    const tick_band_t      bands[2] = {{.px_from = 0, .tick = 1}, {.px_from = DOLLAR, .tick = CENT}};
    const book_cfg_t       cfg      = {0};
    instrument_t           ins;
    const err_t            err = instrument_init(&ins, &def, "LOBSTER", bands, 2);
    if (err) {
        return err;
    }
    const size_t bytes = book_footprint(&cfg), align = book_align();
    void        *mem = aligned_alloc(align, (bytes + align - 1) / align * align);
    r->book          = mem ? book_new(mem, &cfg, &ins) : NULL;
    r->upd           = (book_update_t){.instrument_id = 1};
    return r->book ? ERR_OK : err_set(ERR_LIMIT, "out of memory");
}

static err_t update(lobster_replay_t *r, uint32_t flags, const level_t *levels, uint32_t bids, uint32_t asks)
{
    r->upd.rpt_seq++;
    r->upd.venue_seq_first = r->upd.venue_seq = r->message_count;
    r->upd.flags                              = flags;
    r->upd.bid_count                          = (uint16_t)bids;
    r->upd.ask_count                          = (uint16_t)asks;
    return book_apply(r->book, &r->upd, levels, 0);
}

/* One level becomes qty. */
static err_t level_set(lobster_replay_t *r, side_t side, int64_t px, int64_t qty)
{
    const level_t level = {.px = px, .qty = qty};
    return update(r, BOOK_FLAG_FIRST | BOOK_FLAG_LAST, &level, side == SIDE_BUY, side == SIDE_SELL);
}

/* The row becomes the book. */
static err_t book_become(lobster_replay_t *r, const lobster_row_t *row)
{
    err_t    err   = ERR_OK;
    uint32_t flags = BOOK_FLAG_SNAPSHOT | BOOK_FLAG_FIRST;
    for (uint32_t ask = 0; ask < 2; ask++) {
        uint32_t at = 0;
        do { /* an empty side is a part without levels */
            const uint32_t left = row->count[ask] - at;
            const uint32_t n    = left < BOOK_UPDATE_MAX_LEVELS ? left : BOOK_UPDATE_MAX_LEVELS;
            flags |= ask && n == left ? BOOK_FLAG_LAST : 0u;
            err   = err ? err : update(r, flags, &row->level[ask][at], ask ? 0 : n, ask ? n : 0);
            flags = BOOK_FLAG_SNAPSHOT;
            at += n;
        } while (at < row->count[ask]);
    }
    return err;
}

/* ---- what a message does ----------------------------------------------------------------------------------------- */
typedef struct effect {
    side_t emptied; /* side on which the message took away a level, SIDE_NONE */
    bool   more;    /* it took more than there was */
} effect_t;

static err_t message_apply(lobster_replay_t *r, const lobster_message_t *m, effect_t *effect)
{
    *effect            = (effect_t){.emptied = SIDE_NONE};
    const int64_t have = book_qty_at(r->book, m->side, m->px);
    if (m->type == LOBSTER_NEW) {
        int64_t sum = 0;
        return __builtin_add_overflow(have, m->qty, &sum)
                   ? err_set(ERR_RANGE, "%" PRId64 " shares and %" PRId64 " more do not fit", have, m->qty)
                   : level_set(r, m->side, m->px, sum);
    }
    if (m->type > LOBSTER_EXECUTE) {
        return ERR_OK;
    }
    effect->more = m->qty > have;
    if (have == 0) {
        return ERR_OK;
    }
    effect->emptied = m->qty >= have ? m->side : SIDE_NONE;
    return level_set(r, m->side, m->px, effect->emptied ? 0 : have - m->qty);
}

/* ---- the window: row after row ----------------------------------------------------------------------------------- */
/* What the row cannot show is forgotten; what came into it from outside is adopted. */
static err_t window_fit(lobster_replay_t *r, side_t side, side_t emptied)
{
    const uint32_t ask  = side == SIDE_SELL;
    const uint32_t full = r->row.levels;
    err_t          err  = ERR_OK;
    if (r->row.count[ask] < full) {
        return ERR_OK; /* the whole side is in view */
    }
    const level_t  worst = r->row.level[ask][full - 1];
    const uint32_t have  = book_levels(r->book, side, r->ours, full + 1);
    for (uint32_t i = have; !err && i-- > 0 && (ask ? r->ours[i].px > worst.px : r->ours[i].px < worst.px);) {
        err = level_set(r, side, r->ours[i].px, 0);
    }
    if (!err && emptied == side && book_qty_at(r->book, side, worst.px) == 0) {
        err = level_set(r, side, worst.px, worst.qty);
        r->adopted++;
    }
    return err;
}

static const char *level_text(const level_t *level, char out[2 * DECIMAL_TEXT_MAX])
{
    char px[DECIMAL_TEXT_MAX];
    decimal_format(level->px, LOBSTER_PX_EXP, px);
    (void)snprintf(out, 2 * DECIMAL_TEXT_MAX, "%" PRId64 " at %s", level->qty, px);
    return level->qty ? out : "nothing";
}

/* One more difference; the first is kept. */
static void differs(lobster_replay_t *r, uint64_t line, const char *text)
{
    if (r->mismatched++ == 0) {
        r->first_mismatch_line = line;
        (void)snprintf(r->first_mismatch, sizeof r->first_mismatch, "%s", text);
    }
}

/* Is the book the row, on both sides, level for level? */
static bool row_equal(lobster_replay_t *r)
{
    for (uint32_t ask = 0; ask < 2; ask++) {
        const side_t   side = ask ? SIDE_SELL : SIDE_BUY;
        const uint32_t have =
            book_levels(r->book, side, r->ours, r->row.levels); /* one more would have shifted these */
        const uint32_t want = r->row.count[ask];
        for (uint32_t i = 0; i < have || i < want; i++) {
            const level_t a = i < have ? r->ours[i] : (level_t){0};
            const level_t b = i < want ? r->row.level[ask][i] : (level_t){0};
            if (a.px != b.px || a.qty != b.qty) {
                char ours[2 * DECIMAL_TEXT_MAX], theirs[2 * DECIMAL_TEXT_MAX], text[DIFFERENCE_MAX];
                (void)snprintf(text, sizeof text, "%s: line %" PRIu64 ": %s level %u: our book has %s, the file %s",
                               r->rows, r->row.line_no, ask ? "ask" : "bid", i + 1, level_text(&a, ours),
                               level_text(&b, theirs));
                differs(r, r->row.line_no, text);
                return false;
            }
        }
    }
    return true;
}

/* One message, and the row that it must make. */
static err_t window_step(lobster_replay_t *r, const lobster_message_t *m)
{
    effect_t effect = {.emptied = SIDE_NONE};
    err_t    err    = r->message_count == 1 ? book_become(r, &r->row) : message_apply(r, m, &effect);
    err             = err ? err : window_fit(r, SIDE_BUY, effect.emptied);
    err             = err ? err : window_fit(r, SIDE_SELL, effect.emptied);
    if (err) {
        return err;
    }
    r->checked++;
    if (effect.more) {
        char px[DECIMAL_TEXT_MAX], text[DIFFERENCE_MAX];
        decimal_format(m->px, LOBSTER_PX_EXP, px);
        (void)snprintf(text, sizeof text, "%s: line %" PRIu64 ": takes %" PRId64 " at %s, which our book does not have",
                       r->messages, m->line_no, m->qty, px);
        differs(r, m->line_no, text);
    } else if (row_equal(r)) {
        return ERR_OK;
    }
    return book_become(r, &r->row);
}

static err_t window_compare(lobster_replay_t *r)
{
    lobster_message_t m   = {0};
    err_t             err = ERR_OK;
    while (!err) {
        err              = lobster_message(r->messages_file, &m);
        const err_t both = err && err != ERR_END ? err : lobster_row(r->rows_file, &r->row);
        if (err == ERR_END && both == ERR_OK) {
            return err_set(ERR_TRUNCATED, "%s: line %" PRIu64 ": no message is left in %s", r->rows, r->row.line_no,
                           r->messages);
        }
        if (both == ERR_END && err == ERR_OK) {
            return err_set(ERR_TRUNCATED, "%s: line %" PRIu64 ": no row is left in %s", r->messages, m.line_no,
                           r->rows);
        }
        err = err == ERR_END ? both : err ? err : both;
        if (!err) {
            r->message_count++;
            err = window_step(r, &m);
            err = err ? err_wrap(err, "%s: line %" PRIu64, r->messages, m.line_no) : ERR_OK;
        }
    }
    return err == ERR_END ? ERR_OK : err;
}

/* ---- without a window: state after state ------------------------------------------------------------------------- */
typedef struct state {
    level_t ask, bid;
} state_t;

static state_t state_ours(const book_t *book)
{
    state_t s;
    (void)book_best(book, &s.bid.px, &s.bid.qty, &s.ask.px, &s.ask.qty);
    return s;
}

static bool state_same(const state_t *a, const state_t *b)
{
    return a->ask.px == b->ask.px && a->ask.qty == b->ask.qty && a->bid.px == b->bid.px && a->bid.qty == b->bid.qty;
}

/* The next line of the venue's best levels that is another than *state. */
static err_t state_next(lobster_replay_t *r, state_t *state)
{
    const state_t last = *state;
    err_t         err  = ERR_OK;
    while (!err && state_same(state, &last)) {
        err    = lobster_row(r->rows_file, &r->row);
        *state = err ? last
                     : (state_t){.ask = r->row.count[1] ? r->row.level[1][0] : (level_t){0},
                                 .bid = r->row.count[0] ? r->row.level[0][0] : (level_t){0}};
    }
    return err;
}

/* Our next state against theirs, whose last one is *theirs. False at the end of the comparison; *err says why. */
static bool state_check(lobster_replay_t *r, const state_t *ours, state_t *theirs, uint64_t line, err_t *err)
{
    char at[4][2 * DECIMAL_TEXT_MAX], text[DIFFERENCE_MAX];
    *err = state_next(r, theirs);
    if (*err) {
        *err = *err != ERR_END
                   ? *err
                   : err_set(ERR_TRUNCATED, "%s: line %" PRIu64 ": no state is left in %s", r->messages, line, r->rows);
        return false;
    }
    r->checked++;
    if (!state_same(ours, theirs)) {
        (void)snprintf(text, sizeof text,
                       "%s: line %" PRIu64 ": after %" PRIu64
                       " equal states our book has ask %s, bid %s; %s line %" PRIu64
                       " has ask %s, bid %s: resynchronise there",
                       r->messages, line, r->checked - 1, level_text(&ours->ask, at[0]), level_text(&ours->bid, at[1]),
                       r->rows, r->row.line_no, level_text(&theirs->ask, at[2]), level_text(&theirs->bid, at[3]));
        differs(r, line, text);
    }
    return r->mismatched == 0;
}

static err_t states_compare(lobster_replay_t *r, void *mem)
{
    lobster_message_t m      = {0};
    state_t           theirs = {0};
    lobster_t        *start;
    err_t             err = lobster_open(mem, r->start, &start);
    if (!err) {
        err = lobster_row(start, &r->row);
        err = err == ERR_END ? err_set(ERR_TRUNCATED, "%s: has no line", r->start) : err;
        lobster_close(start);
    }
    err          = err ? err : lobster_message(r->messages_file, &m); /* the start stands behind it */
    err          = err ? err : book_become(r, &r->row);
    state_t ours = {0};
    while (!err) {
        r->message_count++;
        const state_t now = state_ours(r->book);
        if (!state_same(&now, &ours) && !state_check(r, &now, &theirs, m.line_no, &err)) {
            return err;
        }
        ours = now;
        err  = lobster_message(r->messages_file, &m);
        if (!err) {
            effect_t effect;
            err = message_apply(r, &m, &effect);
            err = err ? err_wrap(err, "%s: line %" PRIu64, r->messages, m.line_no) : ERR_OK;
            r->ignored += effect.more;
        }
    }
    return err == ERR_END ? ERR_OK : err;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */
static err_t compare(lobster_replay_t *r)
{
    const size_t align = lobster_align(), bytes = (lobster_footprint() + align - 1) / align * align;
    char        *mem = aligned_alloc(align, 3 * bytes);
    err_t        err = mem ? book_make(r) : err_set(ERR_LIMIT, "out of memory");
    if (!err) {
        err = lobster_open(mem, r->messages, &r->messages_file);
    }
    if (!err) {
        err = lobster_open(mem + bytes, r->rows, &r->rows_file);
    }
    if (!err) {
        err = r->start ? states_compare(r, mem + 2 * bytes) : window_compare(r);
    }
    if (!err && r->checked == 0) {
        err = err_set(ERR_TRUNCATED, "%s: has no message", r->messages);
    }
    if (r->rows_file) {
        lobster_close(r->rows_file);
    }
    if (r->messages_file) {
        lobster_close(r->messages_file);
    }
    free(mem);
    free(r->book);
    return err;
}

static void print(const lobster_replay_t *r, const json_t *errors)
{
    const char *unit = r->start ? "states" : "rows";
    if (!r->json && r->checked == 0) {
        return; /* nothing was compared: the error says why */
    }
    if (!r->json) {
        printf("lobster: %" PRIu64 " messages, %u level%s a side\n", r->message_count, r->row.levels,
               r->row.levels == 1 ? "" : "s");
        printf("oracle: %" PRIu64 " %s checked, %" PRIu64 " differ, %" PRIu64 " adopted, %" PRIu64 " ignored\n",
               r->checked, unit, r->mismatched, r->adopted, r->ignored);
        return;
    }
    json_t *object = json_pack(
        "{s:s, s:s, s:I, s:i, s:{s:s, s:I, s:I, s:I, s:I, s:I}, s:O}", "command", "replay", "format", "lobster",
        "messages", (json_int_t)r->message_count, "levels", (int)r->row.levels, "oracle", "unit", unit, "checked",
        (json_int_t)r->checked, "mismatched", (json_int_t)r->mismatched, "adopted", (json_int_t)r->adopted, "ignored",
        (json_int_t)r->ignored, "first_mismatch_line", (json_int_t)r->first_mismatch_line, "errors", errors);
    json_dumpf(object, stdout, JSON_INDENT(2));
    fputc('\n', stdout);
    json_decref(object);
}

static int options(lobster_replay_t *r, int argc, char **argv)
{
    enum { OPT_LOBSTER = 256, OPT_BOOK, OPT_START, OPT_CHECK, OPT_JSON };
    static const struct option list[] = {{"lobster", required_argument, NULL, OPT_LOBSTER},
                                         {"book", required_argument, NULL, OPT_BOOK},
                                         {"start", required_argument, NULL, OPT_START},
                                         {"check", no_argument, NULL, OPT_CHECK},
                                         {"json", no_argument, NULL, OPT_JSON},
                                         {"help", no_argument, NULL, 'h'},
                                         {NULL, 0, NULL, 0}};
    int                        opt;
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "h", list, NULL)) != -1) {
        switch (opt) {
        case OPT_LOBSTER:
            if (strcmp(optarg, "--help") == 0) { /* no file is meant by that */
                usage();
                return -1;
            }
            r->messages = optarg;
            break;
        case OPT_BOOK: r->rows = optarg; break;
        case OPT_START: r->start = optarg; break;
        case OPT_CHECK: break;
        case OPT_JSON: r->json = true; break;
        case 'h': usage(); return -1;
        default: return command_unknown("replay", argv);
        }
    }
    if (optind < argc) {
        return command_error("replay", EXIT_USAGE, "\"%s\": --lobster takes its files by options (--lobster --help)",
                             argv[optind]);
    }
    return r->rows ? EXIT_OK
                   : command_error("replay", EXIT_USAGE, "--lobster needs --book FILE, the book to compare with");
}

int replay_lobster_command(int argc, char **argv)
{
    lobster_replay_t *r = calloc(1, sizeof *r);
    if (!r) {
        return command_error("replay", EXIT_FINDING, "out of memory");
    }
    int code = options(r, argc, argv);
    if (code) {
        free(r);
        return code < 0 ? EXIT_OK : code;
    }
    json_t     *errors = json_array();
    const err_t err    = compare(r);
    if (r->mismatched) {
        json_array_append_new(errors, command_text(r->first_mismatch));
    }
    if (err) {
        json_array_append_new(errors, command_text(err_msg()));
    }
    print(r, errors);
    size_t  i;
    json_t *text;
    json_array_foreach(errors, i, text)
    {
        code = command_error("replay", EXIT_FINDING, "%s", json_string_value(text));
    }
    json_decref(errors);
    free(r);
    return code;
}
