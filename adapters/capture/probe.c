#include <inttypes.h>
#include <string.h>

#include "adapters/capture/capture.h"
#include "adapters/net/scan.h"
#include "core/types/decimal.h"
#include "core/types/num.h"

typedef struct probe {
    capture_probe_t  out;
    capture_symbol_t nameless; /* of snapshots that say no symbol */
    bool             has_pu, has_ps;
    bool             full; /* one symbol too many           */
    err_t            why;  /* no symbol: the fault to tell  */
    char             why_text[512];
} probe_t;

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
static int64_t gcd(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t r = a % b;
        a               = b;
        b               = r;
    }
    return a < 0 ? -a : a;
}

/* One decimal, as it stands in the text, into a running scale and divisor. */
static err_t number_note(const scan_str_t *text, uint32_t *decimals, int64_t *divisor)
{
    const char    *dot  = memchr(text->text, '.', text->len);
    const uint32_t have = dot != NULL ? (uint32_t)(text->text + text->len - dot - 1) : 0;
    if (have > *decimals && have <= DECIMAL_EXP_MAX) {
        if (!fit_i64(mul_i64(*divisor, pow10_i64(have - *decimals)), divisor)) {
            return err_set(ERR_RANGE, "numbers do not fit 64 bits at %u decimals", have);
        }
        *decimals = have;
    }
    int64_t     value = 0;
    const err_t err   = decimal_parse(text->text, text->len, *decimals, &value);
    if (err != ERR_OK) {
        return err_set(err, "\"%.*s\" is no price or quantity", (int)(text->len < 32 ? text->len : 32), text->text);
    }
    *divisor = gcd(*divisor, value);
    return ERR_OK;
}

static err_t value_note(scan_t *s, uint32_t *decimals, int64_t *divisor)
{
    scan_str_t  text;
    const err_t err = scan_kind(s) == SCAN_STRING ? scan_string(s, &text) : scan_number(s, &text);
    return err == ERR_OK ? number_note(&text, decimals, divisor) : err;
}

static err_t px_note(scan_t *s, capture_symbol_t *sym)
{
    return value_note(s, &sym->px_decimals, &sym->px_gcd);
}

static err_t qty_note(scan_t *s, capture_symbol_t *sym)
{
    return value_note(s, &sym->qty_decimals, &sym->qty_gcd);
}

static err_t levels_note(scan_t *s, capture_symbol_t *sym)
{
    err_t err;
    scan_enter_array(s);
    while ((err = scan_element(s)) == ERR_OK) {
        scan_enter_array(s);
        if ((err = scan_element(s)) != ERR_OK || (err = px_note(s, sym)) != ERR_OK ||
            (err = scan_element(s)) != ERR_OK || (err = qty_note(s, sym)) != ERR_OK) {
            return err == ERR_END ? err_set(ERR_PARSE, "a level without price and quantity") : err;
        }
        while ((err = scan_element(s)) == ERR_OK) {
            scan_skip(s);
        }
        if (err != ERR_END) {
            return err;
        }
    }
    return err == ERR_END ? ERR_OK : err;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */
/* Notes are taken on a copy of what is known of the symbol, and count only when the whole line could be read. */
static err_t symbol_begin(const probe_t *p, const scan_str_t *name, capture_symbol_t *sym)
{
    size_t len = 0;
    *sym       = (capture_symbol_t){.lines = 0};
    if (scan_str_copy(name, sym->symbol, sizeof sym->symbol, &len) != ERR_OK || len == 0 ||
        strlen(sym->symbol) != len) {
        return err_set(ERR_PARSE, "\"%.*s\" is no symbol", (int)(name->len < 32 ? name->len : 32), name->text);
    }
    for (uint32_t i = 0; i < p->out.symbol_count; i++) {
        if (strcmp(p->out.symbols[i].symbol, sym->symbol) == 0) {
            *sym = p->out.symbols[i];
        }
    }
    return ERR_OK;
}

static err_t symbol_end(probe_t *p, const capture_symbol_t *sym)
{
    uint32_t i = 0;
    while (i < p->out.symbol_count && strcmp(p->out.symbols[i].symbol, sym->symbol) != 0) {
        i++;
    }
    if (i == CAPTURE_SYMBOLS_MAX) {
        p->full = true; /* ends the look: the caller would have to guess which ones to leave out */
        return ERR_LIMIT;
    }
    p->out.symbols[i]   = *sym;
    p->out.symbol_count = i == p->out.symbol_count ? i + 1 : p->out.symbol_count;
    return ERR_OK;
}

enum { D_S, D_P, D_Q, D_B, D_B_QTY, D_A, D_A_QTY, D_PU, D_PS, D_COUNT };
enum { L_STREAM, L_DATA, L_LAST, L_BIDS, L_ASKS, L_SYMBOL, L_COUNT };
static const char *const data_names[D_COUNT] = {
    [D_S] = "s", [D_P] = "p",     [D_Q] = "q",   [D_B] = "b",  [D_B_QTY] = "B",
    [D_A] = "a", [D_A_QTY] = "A", [D_PU] = "pu", [D_PS] = "ps"};
static const char *const line_names[L_COUNT] = {[L_STREAM] = "stream", [L_DATA] = "data", [L_LAST] = "lastUpdateId",
                                                [L_BIDS] = "bids",     [L_ASKS] = "asks", [L_SYMBOL] = "symbol"};

/* Walk an object, and note where the values of the named keys stand: bit k of the result, at[k]. */
static uint32_t object_walk(scan_t *s, const char *const *names, int count, scan_t *at, scan_str_t *first)
{
    uint32_t   seen = 0;
    scan_str_t key;
    first->len = 0;
    scan_enter_object(s);
    for (bool is_first = true; scan_member(s, &key) == ERR_OK; is_first = false) {
        if (is_first) {
            *first = key;
        }
        for (int k = 0; k < count; k++) {
            if (scan_str_is(&key, names[k], strlen(names[k]))) {
                seen |= 1u << k;
                at[k] = *s;
            }
        }
        scan_skip(s);
    }
    return seen;
}

/* Prices and quantities of a stream's data. */
static err_t data_note(scan_t *at, uint32_t seen, capture_symbol_t *sym)
{
    const uint32_t book = 1u << D_B | 1u << D_A, top = book | 1u << D_B_QTY | 1u << D_A_QTY,
                   deal = 1u << D_P | 1u << D_Q;
    err_t err           = ERR_OK;
    if ((seen & deal) == deal) {
        err = px_note(&at[D_P], sym);
        return err == ERR_OK ? qty_note(&at[D_Q], sym) : err;
    }
    if ((seen & top) == top) {
        err = px_note(&at[D_B], sym);
        err = err == ERR_OK ? qty_note(&at[D_B_QTY], sym) : err;
        err = err == ERR_OK ? px_note(&at[D_A], sym) : err;
        return err == ERR_OK ? qty_note(&at[D_A_QTY], sym) : err;
    }
    if ((seen & book) == book && scan_kind(&at[D_B]) == SCAN_ARRAY) {
        err = levels_note(&at[D_B], sym);
        return err == ERR_OK ? levels_note(&at[D_A], sym) : err;
    }
    return ERR_OK;
}

static err_t stream_note(probe_t *p, scan_t *data)
{
    scan_t           at[D_COUNT];
    scan_str_t       first, name;
    capture_symbol_t sym;
    const uint32_t   seen = object_walk(data, data_names, D_COUNT, at, &first);
    if ((seen >> D_S & 1) == 0) {
        return ERR_OK; /* a stream that concerns no single symbol */
    }
    if (scan_string(&at[D_S], &name) != ERR_OK) {
        return at[D_S].err;
    }
    err_t err = symbol_begin(p, &name, &sym);
    if (err != ERR_OK || (err = data_note(at, seen, &sym)) != ERR_OK) {
        return err;
    }
    sym.lines++;
    err = symbol_end(p, &sym);
    if (err == ERR_OK) {
        p->has_pu |= (seen >> D_PU & 1) != 0;
        p->has_ps |= (seen >> D_PS & 1) != 0;
    }
    return err;
}

static err_t snapshot_note(probe_t *p, uint32_t seen, scan_t *at)
{
    capture_symbol_t sym   = p->nameless;
    const bool       named = (seen >> L_SYMBOL & 1) != 0;
    scan_str_t       name;
    err_t            err = ERR_OK;
    if (named) {
        err = scan_string(&at[L_SYMBOL], &name);
        err = err == ERR_OK ? symbol_begin(p, &name, &sym) : err;
    }
    err = err == ERR_OK ? levels_note(&at[L_BIDS], &sym) : err;
    err = err == ERR_OK ? levels_note(&at[L_ASKS], &sym) : err;
    if (err == ERR_OK && named) {
        err = symbol_end(p, &sym);
    } else if (err == ERR_OK) {
        p->nameless = sym;
    }
    p->out.has_snapshot |= err == ERR_OK;
    return err;
}

static err_t line_note(probe_t *p, const capture_line_t *line)
{
    scan_t     s, at[L_COUNT];
    scan_str_t first;
    scan_init(&s, line->text, line->len);
    const uint32_t seen = object_walk(&s, line_names, L_COUNT, at, &first);
    if (scan_end(&s) != ERR_OK) {
        return s.err;
    }
    if ((seen >> L_STREAM & 1) != 0 && (seen >> L_DATA & 1) != 0) {
        return scan_kind(&at[L_DATA]) == SCAN_OBJECT ? stream_note(p, &at[L_DATA]) : ERR_OK;
    }
    const uint32_t snapshot = 1u << L_LAST | 1u << L_BIDS | 1u << L_ASKS;
    if ((seen & snapshot) != snapshot) {
        return err_set(ERR_UNSUPPORTED, "no Binance combined-stream capture: the first key is \"%.*s\"",
                       (int)(first.len < 32 ? first.len : 32), first.len > 0 ? first.text : "");
    }
    return snapshot_note(p, seen, at);
}

/* Divisor of a * 10^a_up and b * 10^b_up. A divisor too large for its new scale is no guess at anything: 0. */
static int64_t gcd_at(int64_t a, uint32_t a_up, int64_t b, uint32_t b_up)
{
    const bool fits = fit_i64(mul_i64(a, pow10_i64(a_up)), &a) && fit_i64(mul_i64(b, pow10_i64(b_up)), &b);
    return fits ? gcd(a, b) : 0;
}

/* Most lines first; equal ones stay as they are. */
static void symbols_sort(capture_probe_t *out)
{
    for (uint32_t i = 1; i < out->symbol_count; i++) {
        const capture_symbol_t sym = out->symbols[i];
        uint32_t               k   = i;
        for (; k > 0 && out->symbols[k - 1].lines < sym.lines; k--) {
            out->symbols[k] = out->symbols[k - 1];
        }
        out->symbols[k] = sym;
    }
}

/* A snapshot without a symbol belongs to the symbol of nearly all lines; stray lines of another change nothing. */
static void nameless_merge(probe_t *p)
{
    capture_symbol_t *to    = &p->out.symbols[0];
    capture_symbol_t *of    = &p->nameless;
    uint64_t          lines = 0;
    for (uint32_t i = 0; i < p->out.symbol_count; i++) {
        lines += p->out.symbols[i].lines;
    }
    if (to->lines < lines - lines / 10 || of->px_gcd == 0) {
        return;
    }
    const uint32_t px  = to->px_decimals > of->px_decimals ? to->px_decimals : of->px_decimals;
    const uint32_t qty = to->qty_decimals > of->qty_decimals ? to->qty_decimals : of->qty_decimals;
    to->px_gcd         = gcd_at(to->px_gcd, px - to->px_decimals, of->px_gcd, px - of->px_decimals);
    to->qty_gcd        = gcd_at(to->qty_gcd, qty - to->qty_decimals, of->qty_gcd, qty - of->qty_decimals);
    to->px_decimals    = px;
    to->qty_decimals   = qty;
}

/* The first fault is the one to tell, unless a later one says that this is another venue's file. */
static void fault_note(probe_t *p, err_t err)
{
    if (p->why == ERR_OK || (err == ERR_UNSUPPORTED && p->why != ERR_UNSUPPORTED)) {
        p->why           = err;
        const size_t len = strnlen(err_msg(), sizeof p->why_text - 1);
        memcpy(p->why_text, err_msg(), len);
        p->why_text[len] = 0;
    }
}

/* All lines that are looked at; the fault of a bad one is noted. */
static void lines_note(probe_t *p, capture_t *cap, const char *path)
{
    while (p->out.lines < CAPTURE_PROBE_LINES && !p->full) {
        capture_line_t line;
        err_t          err = capture_next(cap, &line);
        if (err == ERR_END) {
            return;
        }
        if (err != ERR_OK && !line.fault) {
            fault_note(p, err);
            return;
        }
        p->out.lines++;
        if (err == ERR_OK && (err = line_note(p, &line)) != ERR_OK) {
            (void)err_wrap(err, "%s: line %" PRIu64, path, line.line_no);
        }
        if (err != ERR_OK) {
            fault_note(p, err);
        }
    }
}

err_t capture_probe_file(void *mem, const char *path, capture_probe_t *out)
{
    capture_t  *cap;
    probe_t     probe = {.has_pu = false};
    probe_t    *p     = &probe;
    const err_t err   = capture_open(mem, &path, 1, &cap);
    if (err != ERR_OK) {
        return err;
    }
    lines_note(p, cap, path);
    capture_close(cap);
    if (p->full) {
        return err_set(ERR_LIMIT, "%s: more than %u symbols in one file", path, CAPTURE_SYMBOLS_MAX);
    }
    if (p->out.symbol_count == 0) {
        return p->why != ERR_OK ? err_set(p->why, "%s", p->why_text)
                                : err_set(ERR_UNSUPPORTED, "%s: no line names a symbol", path);
    }
    symbols_sort(&p->out);
    nameless_merge(p);
    p->out.kind = p->has_ps ? INSTRUMENT_INVERSE : p->has_pu ? INSTRUMENT_LINEAR : INSTRUMENT_SPOT;
    *out        = p->out;
    return ERR_OK;
}
